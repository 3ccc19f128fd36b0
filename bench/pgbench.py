#!/usr/bin/env python3
"""make bench: pgbench against PostgreSQL 15 and Tusk, by turns in one run, on this machine.

    bench/pgbench.py [--short] [--scale 10] [--seconds 10] [--rounds 3] [--clients 1,8,32]
                     [--scripts select-only,...] [--protocols simple,prepared] [--output FILE]

Both run with the same durability (fsync, synchronous_commit) on the same disk, both with a cache that
holds everything. A round runs every cell on one server and then on the other, so that a slow minute of
the machine meets both; medians over the rounds. CPU is what all processes of the server used between
the start and the end of a run (user and system, from /proc), memory is their PSS near the end of the first
round's.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from common import Server, cpu_seconds, medians, memory_mib, pgwire, postgres, skipped, tell

SUMS = (("abalance", "accounts"), ("bbalance", "branches"), ("tbalance", "tellers"),
        ("delta", "history"))


class Engine:
    def __init__(self, name, server, pid):
        self.name, self.server, self.pid = name, server, pid

    def base(self):
        return ["-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres", "postgres"]

    def load(self, scale):
        start = time.monotonic()
        subprocess.run([f"{postgres.BIN}/pgbench", "-i", "-q", "-s", str(scale),
                        *self.base()], check=True, capture_output=True)
        self.query("checkpoint")
        return time.monotonic() - start

    def query(self, sql):
        with pgwire.connect(port=self.server.port, timeout=600) as connection:
            return connection.rows(sql)

    def run(self, script, protocol, clients, seconds, folder, weigh, words=None):
        """(transactions a second, CPU microseconds each, p99 milliseconds, memory or None). The script
        is pgbench's own of that name, or what `words` give it."""
        for old in glob.glob(f"{folder}/log*"):
            os.unlink(old)
        # The log of every latency is not free: enough of them are taken.
        rate = "1" if clients == 1 else "0.2"
        before = cpu_seconds(self.pid)
        bench = subprocess.Popen(
            [f"{postgres.BIN}/pgbench", "-n", *(words or ["-b", script]), "-M", protocol, "-c", str(clients), "-j",
             str(min(clients, 2)), "-T", str(seconds), "-l", f"--sampling-rate={rate}",
             f"--log-prefix={folder}/log", *self.base()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        memory = None
        if weigh:       # not in every round: it costs the server's page tables a walk
            time.sleep(seconds * 0.8)
            memory = memory_mib(self.pid)
        output, errors = bench.communicate()
        # PostgreSQL's backends end with their connections; the postmaster then owns their time.
        time.sleep(0.3)
        used = cpu_seconds(self.pid) - before
        count = re.search(r"number of transactions actually processed: (\d+)", output)
        failed = re.search(r"number of failed transactions: (\d+)", output)
        tps = re.search(r"tps = ([\d.]+)", output)
        if bench.returncode != 0 or not (count and tps) or failed and failed.group(1) != "0":
            raise RuntimeError(f"{self.name}, {script} {protocol} {clients}: "
                               f"{output[-300:]}{errors[-600:]}")
        latencies = []
        for path in glob.glob(f"{folder}/log*"):
            with open(path, encoding="utf-8") as file:
                latencies += [int(line.split()[2]) for line in file]
        latencies.sort()
        p99 = latencies[int(len(latencies) * 0.99)] / 1000 if latencies else float("nan")
        return float(tps.group(1)), used / int(count.group(1)) * 1e6, p99, memory


def check_sums(engine):
    sums = {column: engine.query(f"select coalesce(sum({column}), 0) from pgbench_{table}")[0][0]
            for column, table in SUMS}
    if sums["abalance"] != sums["delta"] or sums["bbalance"] != sums["tbalance"]:
        raise RuntimeError(f"{engine.name}: the sums do not agree: {sums}")


def table(cells, options):
    lines = ["| script | protocol | clients | tps PostgreSQL | tps Tusk | ratio | CPU µs/tx PostgreSQL "
             "| CPU µs/tx Tusk | ratio | p99 ms PostgreSQL | p99 ms Tusk | PSS MiB PostgreSQL "
             "| PSS MiB Tusk |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    behind = []
    for (script, protocol, clients), runs in cells.items():
        theirs, ours = (medians(runs[name], 4) for name in ("postgres", "tusk"))
        ratio = ours[0] / theirs[0]
        if ratio < 1:
            behind.append(f"{script} {protocol} {clients}: {ratio:.2f}")
        lines.append(f"| {script} | {protocol} | {clients} | {theirs[0]:,.0f} | {ours[0]:,.0f} | "
                     f"**{ratio:.2f}** | {theirs[1]:.0f} | {ours[1]:.0f} | {ours[1] / theirs[1]:.2f} | "
                     f"{theirs[2]:.2f} | {ours[2]:.2f} | {theirs[3]:.0f} | {ours[3]:.0f} |")
    lines += ["", f"Scale {options.scale}, {options.seconds} s a run, medians of {options.rounds} "
              f"rounds, {os.cpu_count()} cores shared by server and pgbench. Ratios are Tusk / "
              "PostgreSQL: throughput above 1 and CPU below 1 are better.", "",
              "Behind PostgreSQL in throughput: " + ("; ".join(behind) if behind else "nowhere.")]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--scripts", default="select-only,simple-update,tpcb-like")
    parser.add_argument("--protocols", default="simple,prepared")
    parser.add_argument("--build", default="release")
    parser.add_argument("--short", action="store_true", help="one round of 3 s")
    parser.add_argument("--output", help="write the table there too")
    options = parser.parse_args()
    if options.short:
        options.seconds, options.rounds = 3, 1
    if skipped():
        return 0
    folder = tempfile.mkdtemp(prefix="tusk_bench_")
    try:
        with postgres.Postgres({"shared_buffers": "512MB", "max_wal_size": "8GB", "autovacuum": "on",
                                "checkpoint_timeout": "30min"}) as theirs, \
                Server(options.build, ["--cache-size", "512MB"]) as ours:
            engines = [Engine("postgres", theirs, theirs.pid()),
                       Engine("tusk", ours, ours.process.pid)]
            for engine in engines:
                print(f"{engine.name}: loaded in {engine.load(options.scale):.1f} s", flush=True)
            cells = {}
            for turn in range(options.rounds):
                for script in options.scripts.split(","):
                    for protocol in options.protocols.split(","):
                        for clients in map(int, options.clients.split(",")):
                            # Who begins changes by turns too.
                            for engine in engines if turn % 2 == 0 else reversed(engines):
                                result = engine.run(script, protocol, clients, options.seconds, folder,
                                                    turn == 0)
                                cells.setdefault((script, protocol, clients), {}) \
                                    .setdefault(engine.name, []).append(result)
                                print(f"round {turn + 1} {script:13} {protocol:8} {clients:3} "
                                      f"{engine.name:8} {result[0]:9.0f} tps {result[1]:6.0f} us "
                                      f"p99 {result[2]:7.2f} ms {(result[3] or 0):5.0f} MiB", flush=True)
            for engine in engines:
                check_sums(engine)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tell(table(cells, options), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
