#!/usr/bin/env python3
"""The 22 queries of TPC-H beside PostgreSQL 15.

    bench/tpch.py [--scale 0.1] [--rounds 3] [--work-mem 64MB] [--build release] [--output FILE]
                  [--only 1,17] [--engine tusk|postgres] [--no-indexes] [--explain]

Tables and rows are tpch_data.py's, with primary keys and the usual indexes on foreign keys. Both
servers hold all in memory and have been told ANALYZE; parallel query and JIT are off. Each query runs
on one server and at once on the other, who begins changing by rounds; answers must be equal. Shown
are medians. Ends with 1 if answers differ, if the total is above PostgreSQL's, or if a query that takes
more than a few milliseconds is more than twice as slow.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import tpch_data
from common import Server, cpu_seconds, pgwire, postgres, skipped, tell

LITTLE = 0.02  # seconds: of less, twice as slow is not noticed


class Engine:
    def __init__(self, name, server, pid, options):
        self.name, self.server, self.pid = name, server, pid
        self.connection = pgwire.connect(port=server.port, timeout=options.timeout)
        self.connection.query(f"set work_mem = '{options.work_mem}'")
        if name == "postgres":
            self.connection.query("set max_parallel_workers_per_gather = 0; set jit = off; "
                                  "set max_parallel_maintenance_workers = 0")
        self.times = {}     # query: [(seconds, processor seconds)]

    def load(self, paths, options):
        start = time.monotonic()
        self.connection.query(tpch_data.SCHEMA)
        for table, path in paths.items():
            subprocess.run([f"{postgres.BIN}/psql", "-X", "-q", "-h", "127.0.0.1", "-p",
                            str(self.server.port), "-U", "postgres", "-d", "postgres", "-c",
                            f"\\copy {table} from '{path}'"], check=True)
        if not options.no_indexes:
            self.connection.query(tpch_data.INDEXES)
        self.connection.query("analyze")
        self.connection.query("checkpoint")
        print(f"{self.name}: loaded in {time.monotonic() - start:.1f} s", flush=True)

    def run(self, number, sql):
        before, start = cpu_seconds(self.pid), time.monotonic()
        rows = self.connection.query(sql)[-1].rows
        self.times.setdefault(number, []).append(
            (time.monotonic() - start, cpu_seconds(self.pid) - before))
        return rows

    def explain(self, sql):
        for row in self.connection.query("explain analyze " + sql)[-1].rows:
            print(row[0])


def table(engines, options):
    """The table's lines, and how many queries are more than twice as slow."""
    lines = ["| query | ms PostgreSQL | ms Tusk | ratio |", "|--:|--:|--:|--:|"]
    totals, slow = [0, 0], []
    for number in sorted(engines["tusk"].times):
        both = [statistics.median(run[0] for run in engines[name].times[number])
                for name in ("postgres", "tusk")]
        totals = [total + seconds for total, seconds in zip(totals, both)]
        if both[1] > 2 * both[0] and both[1] > LITTLE:
            slow.append(number)
        lines.append(f"| {number} | {both[0] * 1000:.0f} | {both[1] * 1000:.0f} | "
                     f"**{both[1] / both[0]:.2f}** |")
    lines.append(f"| all | {totals[0] * 1000:.0f} | {totals[1] * 1000:.0f} | "
                 f"**{totals[1] / totals[0]:.2f}** |")
    cpu = [sum(statistics.median(run[1] for run in runs) for runs in engines[name].times.values())
           for name in ("postgres", "tusk")]
    lines.append(f"| CPU of all | {cpu[0] * 1000:.0f} | {cpu[1] * 1000:.0f} | "
                 f"**{cpu[1] / cpu[0]:.2f}** |")
    indexes = "primary keys alone" if options.no_indexes else "indexes on foreign keys"
    lines += ["", f"Scale {options.scale}, {indexes}, work_mem {options.work_mem}, medians of "
              f"{options.rounds} rounds. Ratios are Tusk / PostgreSQL: below 1 is better."]
    if slow:
        lines.append(f"More than twice as slow: {', '.join(map(str, slow))}.")
    return lines, not slow and totals[1] <= totals[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work-mem", default="64MB")
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--build", default="release")
    parser.add_argument("--only", help="numbers of queries")
    parser.add_argument("--engine", help="only this one")
    parser.add_argument("--no-indexes", action="store_true")
    parser.add_argument("--explain", action="store_true", help="print each plan after its run")
    parser.add_argument("--output", help="write the table there too")
    options = parser.parse_args()
    if skipped():
        return 0
    queries = tpch_data.queries(options.scale)
    if options.only:
        queries = {int(n): queries[int(n)] for n in options.only.split(",")}
    folder = tempfile.mkdtemp(prefix="tusk_tpch_")
    os.chmod(folder, 0o755)
    engines, started, good = {}, [], True
    try:
        paths = tpch_data.Data(options.scale, options.seed).write(folder)
        if options.engine != "tusk":
            started.append(postgres.Postgres({"shared_buffers": "1GB", "max_wal_size": "16GB",
                                              "autovacuum": "off"}).start())
            engines["postgres"] = Engine("postgres", started[-1], started[-1].pid(), options)
        if options.engine != "postgres":
            started.append(Server(options.build, ["--cache-size", "1GB"]).start())
            engines["tusk"] = Engine("tusk", started[-1], started[-1].process.pid, options)
        for engine in engines.values():
            engine.load(paths, options)
        for turn in range(options.rounds):
            for number, sql in queries.items():
                answers = {}
                for engine in sorted(engines.values(), key=lambda e: e.name, reverse=turn % 2 == 1):
                    try:
                        answers[engine.name] = engine.run(number, sql)
                    except (pgwire.Error, OSError) as error:
                        answers[engine.name] = str(error)
                        engine.times.setdefault(number, []).append((options.timeout, 0))
                    if options.explain:
                        print(f"-- query {number}, {engine.name}: "
                              f"{engine.times[number][-1][0] * 1000:.0f} ms")
                        engine.explain(sql)
                if len(set(map(str, answers.values()))) > 1:
                    good = False
                    for name, rows in answers.items():
                        print(f"query {number}: {name} answers {str(rows)[:400]}", flush=True)
    finally:
        for server in started:
            server.__exit__()
        shutil.rmtree(folder, ignore_errors=True)
    if len(engines) == 2:
        lines, quick = table(engines, options)
        tell("\n".join(lines), options.output)
        good = good and quick
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
