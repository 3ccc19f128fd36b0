#!/usr/bin/env python3
"""From kill -9 to the first answer, beside PostgreSQL 15; and how fast the log is applied.

    bench/recovery.py [--seconds 60] [--scale 10] [--clients 8] [--rows 2000000] [--output FILE]

1. pgbench -N (simple-update) for so long on each server, with no checkpoint on the way; then it is killed
   (kill -9; PostgreSQL by pg_ctl stop -m immediate), and started again: seconds until `select 1` is answered, and until the sum of all
   balances is (which must be right).
2. Tusk alone: random updates of small rows (int, int), the log of which is applied with one worker and
   with all; changes a second, from the server's log, and by the processor time of the whole start.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

from common import Server, pgwire, postgres, tell

NEVER = {"max_wal_size": "100GB", "checkpoint_timeout": "1d", "shared_buffers": "1GB"}


def pgbench(port, *arguments):
    done = subprocess.run([f"{postgres.BIN}/pgbench", "-h", "127.0.0.1", "-p", str(port), "-U",
                           "postgres", *arguments, "postgres"], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-500:] + done.stderr[-500:])
    found = re.search(r"transactions actually processed: (\d+)", done.stdout)
    return int(found.group(1)) if found else 0


def answer(port, sql, since):
    """Seconds until it is answered."""
    while True:
        try:
            with pgwire.connect(port=port, timeout=600) as connection:
                rows = connection.rows(sql)
            return time.monotonic() - since, rows
        except (pgwire.Error, ConnectionError, OSError):
            time.sleep(0.005)


SUMS = ("select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from"
        " pgbench_history)")


def load(server, port, options):
    pgbench(port, "-i", "-q", "-s", str(options.scale))
    with pgwire.connect(port=port, timeout=600) as connection:
        connection.query("checkpoint")
    return pgbench(port, "-N", "-n", "-M", "prepared", "-T", str(options.seconds), "-c",
                   str(options.clients))


def of_postgres(options):
    with postgres.Postgres({**NEVER, "port": str(postgres.free_port())}) as server:
        server.port = int(server.settings["port"])
        count = load(server, server.port, options)
        server.stop("immediate")    # without a checkpoint: kill -9 leaves shared memory behind
        since = time.monotonic()
        server.start()
        first, _ = answer(server.port, "select 1", since)
        second, rows = answer(server.port, SUMS, since)
        assert rows == [("t",)], rows
    return count, first, second


def of_tusk(options):
    with Server("release", ["--checkpoint-log", "100GB", "-c", "checkpoint_timeout=1d",
                            "--cache-size", "1GB"]) as server:
        count = load(server, server.port, options)
        server.kill()
        since = time.monotonic()
        server.start()
        first, _ = answer(server.port, "select 1", since)
        second, rows = answer(server.port, SUMS, since)
        assert rows == [("t",)], rows
        line = re.findall(r"recovery complete.*", server.tail(200))[-1]
    return count, first, second, line


def changes(options):
    """Changes a second with one worker and with all."""
    server = Server("release", ["--checkpoint-log", "100GB", "-c", "checkpoint_timeout=1d"])
    rates = {}
    try:
        server.start()
        with pgwire.connect(port=server.port, timeout=600) as connection:
            rows = options.rows
            connection.query("create table t (id int primary key, v int not null)")
            connection.query("create table r (n int primary key, id int not null)")
            connection.query(f"insert into r select n, n::bigint * 7919 % {rows}"
                             f" from generate_series(0, {rows - 1}) n")
            connection.query("insert into t select id, 0 from r")
            connection.query("checkpoint")
            connection.query("update t set v = 1 from r where t.id = r.id")
            connection.query("update t set v = v + 1")
        server.kill()
        saved = os.path.join(server.directory, "saved")
        os.rename(os.path.join(server.directory, "data"), saved)
        for workers in ("1", str(os.cpu_count())):
            shutil.copytree(saved, os.path.join(server.directory, "data"))
            server.arguments = ["--workers", workers]
            server.start()
            with open(f"/proc/{server.process.pid}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            line = re.findall(r"recovery complete.*", server.tail(200))[-1]
            rates[workers] = (int(re.search(r"\((\d+) changes a second", line).group(1)),
                              int(re.search(r"(\d+) changes,", line).group(1)) / cpu)
            server.kill()
            shutil.rmtree(os.path.join(server.directory, "data"))
    finally:
        server.sound = False
        server.__exit__()
    return rates


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--scale", type=int, default=10)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--rows", type=int, default=2000000)
    arguments.add_argument("--output")
    options = arguments.parse_args()
    lines = [] if options.seconds == 0 else [f"simple-update, {options.clients} clients, {options.seconds} s, scale {options.scale},"
             " no checkpoint, kill -9:", "",
             "| | transactions to recover | first answer, s | sum of all balances, s |",
             "|---|--:|--:|--:|"]
    if postgres.INSTALLED and options.seconds > 0:
        count, first, second = of_postgres(options)
        lines.append(f"| PostgreSQL | {count:,} | {first:.2f} | {second:.2f} |")
    if options.seconds > 0:
        count, first, second, detail = of_tusk(options)
        lines += [f"| Tusk | {count:,} | {first:.2f} | {second:.2f} |", "", detail, ""]
    for workers, rate in changes(options).items():
        lines.append(f"Small rows, {workers} worker(s): {rate[0] / 1e6:.2f} million changes a second,"
                     f" {rate[1] / 1e6:.2f} million a second of processor time.")
    tell("\n".join(lines), options.output)


if __name__ == "__main__":
    main()
