#!/usr/bin/env python3
"""Sagas a second, and processor time for each: on one node, and on three behind a router.

    bench/sagas.py                        # 2 rounds of 6 s a cell
    bench/sagas.py --short                # 1 round of 2 s
    bench/sagas.py --clients 1,16 --output table.md

A transfer of three steps (two with UNDO AUTO, one RETRIABLE) between 10,000 accounts, each START with
WAIT in a pgbench script. CPU is user and system time of all servers, the router's apart. "block" is
one insert and a START WITH KEY in a transaction block (saga/README.md, S9); what it starts has ended
before the clock is stopped. The same transfer as one transaction of two updates and an insert stands
beside it, on one node. At the end the sum of the balances must hold.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

from common import ROOT, Server, cpu_seconds, medians, tell

sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))
from cluster import Cluster, connect   # noqa: E402

PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"
ACCOUNTS = 10000

TABLES = [
    "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL) SHARD BY HASH (id) BUCKETS 24",
    "CREATE TABLE line (account int, id bigserial, amount int, PRIMARY KEY (account, id)) "
    "SHARD BY HASH (account) BUCKETS 24 COLOCATE WITH account",
    """CREATE SAGA transfer (p_from int, p_to int, p_amount int)
         STEP take ON account (id => p_from)
           DO $$ UPDATE account SET balance = balance - p_amount WHERE id = p_from $$ UNDO AUTO EXPECT ROWS
         STEP give ON account (id => p_to)
           DO $$ UPDATE account SET balance = balance + p_amount WHERE id = p_to $$ UNDO AUTO EXPECT ROWS
         STEP book ON line (account => p_to)
           DO $$ INSERT INTO line (account, amount) VALUES (p_to, p_amount) $$ RETRIABLE""",
]
START = "START SAGA transfer (:a, :b, :c)"
SET = f"\\set a random(1, {ACCOUNTS})\n\\set b random(1, {ACCOUNTS})\n\\set c random(1, 100)\n"
SCRIPTS = {
    "saga": SET + START + " WAIT;\n",
    "block": SET + "\\set k random(1, 1000000000000)\nBEGIN;\nINSERT INTO line (account, amount) VALUES (:a, 0);\n"
                   + START + " WITH KEY ':k';\nCOMMIT;\n",
    "transaction": SET + "BEGIN;\nUPDATE account SET balance = balance - :c WHERE id = :a;\nUPDATE account SET "
                         "balance = balance + :c WHERE id = :b;\nINSERT INTO line (account, amount) VALUES (:b, :c);\n"
                         "COMMIT;\n",
}


def query(server, text):
    with connect(server, timeout=60) as conn:
        return conn.query(text)[-1].rows


def fill(server):
    with connect(server) as conn:
        for text in TABLES:
            conn.query(text)
        conn.query("SET tusk.copy_spread = on")
        data = "".join(f"{i}\t1000\n" for i in range(1, ACCOUNTS + 1)).encode()
        conn.copy_in("COPY account FROM STDIN", data)


def unfinished(server):
    return query(server, "SELECT count(*) FROM tusk_sagas WHERE state IN ('starting', 'running', 'compensating')")


def run(door, servers, router, script, clients, seconds, directory):
    """(sagas a second, CPU us of the nodes for each, of the router, average latency in ms)"""
    path = os.path.join(directory, "script.sql")
    with open(path, "w", encoding="ascii") as file:
        file.write(SCRIPTS[script])
    before = sum(cpu_seconds(s.process.pid) for s in servers)
    router_before = cpu_seconds(router.process.pid) if router else 0
    began = time.monotonic()
    result = subprocess.run(
        [PGBENCH, "-h", "127.0.0.1", "-p", str(door.port), "-U", "postgres", "-n", "-f", path, "-c", str(clients),
         "-j", "2", "-T", str(seconds), "postgres"], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(result.stderr[-800:])
    done = int(re.search(r"transactions actually processed: (\d+)", result.stdout).group(1))
    latency = float(re.search(r"latency average = ([\d.]+)", result.stdout).group(1))
    while script == "block" and unfinished(door) != [("0",)]:
        time.sleep(0.05)
    took = time.monotonic() - began
    used = sum(cpu_seconds(s.process.pid) for s in servers) - before
    router_used = cpu_seconds(router.process.pid) - router_before if router else 0
    return done / took, used * 1e6 / done, router_used * 1e6 / done, latency


def measure(what, door, servers, router, scripts, args, directory, lines):
    fill(door)
    for script in scripts:
        for clients in args.clients:
            runs = [run(door, servers, router, script, clients, args.seconds, directory) for _ in range(args.rounds)]
            tps, cpu, of_router, latency = medians(runs, 4)
            lines.append(f"| {what} | {script} | {clients} | {tps:,.0f} | {cpu:.0f} | "
                         f"{f'{of_router:.0f}' if router else ''} | {latency:.2f} |")
            print(lines[-1], flush=True)
    total = query(door, "SELECT sum(balance) FROM account")
    if total != [(str(ACCOUNTS * 1000),)]:
        raise RuntimeError(f"the sum of the balances is {total}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--clients", default="1,8,32", type=lambda text: [int(x) for x in text.split(",")])
    parser.add_argument("--output")
    args = parser.parse_args()
    args.seconds = int(args.seconds or (2 if args.short else 6))
    args.rounds = args.rounds or (1 if args.short else 2)
    lines = ["| where | script | clients | a second | CPU µs each, nodes | CPU µs each, router | latency ms |",
             "|---|---|--:|--:|--:|--:|--:|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        with Server(args.build, ["--workers", "2"]) as server:
            measure("one node", server, [server], None, ["transaction", "saga", "block"], args, directory, lines)
        with Cluster(args.build) as cluster:
            measure("three nodes", cluster.router, cluster.shards, cluster.router, ["saga", "block"], args, directory,
                    lines)
    tell("\n".join(lines), args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
