#!/usr/bin/env python3
"""Loading, indexing, scanning, sorting, grouping and joining many rows, beside PostgreSQL 15.

    bench/bulk.py [--rows 5000000] [--rounds 3] [--work-mem 4MB] [--build release] [--output FILE]
                  [--only NAME,NAME] [--engine tusk|postgres]

The table: id int primary key, k int, c char(120), d char(60). Both servers run all the time, each step
on one after the other, who begins changing by rounds. PostgreSQL's parallel query is off; work_mem,
the cache and the log's size until a checkpoint are the same. Shown are medians: seconds until the
answer, and seconds of processor time the server took (the machine may be shared).
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

from common import Server, cpu_seconds, medians, memory_mib, pgwire, postgres, skipped, tell

CREATE = """drop table if exists bulk;
create table bulk (id int primary key, k int, c char(120), d char(60))"""
# c and d: hexadecimal digits, different in each row, filled up with blanks by the type.
ROW = ("select i, i::bigint * 7919 % {rows}, md5(i::text) || md5((i + 1)::text), md5((i * 3)::text) "
       "from generate_series(1, {rows}) i")

# Name, statement, whether it changes something.
STEPS = (
    ("COPY", None),
    ("CREATE INDEX (k)", "create index bulk_k on bulk (k)"),
    ("checkpoint", "checkpoint"),
    ("count(*)", "select count(*) from bulk"),
    ("sum(k)", "select sum(k) from bulk"),
    ("avg, min, max", "select avg(k), min(c), max(d), count(d) from bulk"),
    ("filter on text", "select count(*) from bulk where c like '%abcd%'"),
    ("GROUP BY, 1000 groups", "select k % 1000 g, count(*), sum(k) from bulk group by g "
     "order by g limit 1"),
    ("GROUP BY, all different", "select k, count(*), max(c) m from bulk group by k "
     "order by m limit 1"),
    ("DISTINCT text", "select count(*) from (select distinct substr(c, 1, 5) from bulk) x"),
    ("count(distinct)", "select count(distinct c) from bulk"),
    ("ORDER BY LIMIT 10", "select * from bulk order by c limit 10"),
    ("ORDER BY LIMIT 100000", "select * from bulk order by c offset 99999 limit 1"),
    ("ORDER BY int, all", "select * from bulk order by k offset {last}"),
    ("ORDER BY text, all", "select * from bulk order by c offset {last}"),
    ("join by key", "select count(*), sum(b.k) from bulk a join bulk b on a.id = b.k + 1"),
    ("join by text", "select count(*) from bulk a join bulk b on a.c = b.c"),
    ("anti join", "select count(*) from bulk a where not exists "
     "(select 1 from bulk b where b.k = a.id and b.d < '8')"),
    ("EXCEPT", "select count(*) from (select d, k from bulk except select d, id from bulk) x"),
    ("UPDATE of a tenth", "update bulk set k = k + 1 where id % 10 = 0"),
)


def psql(server, command):
    subprocess.run([f"{postgres.BIN}/psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(server.port),
                    "-U", "postgres", "-d", "postgres", "-c", command], check=True)


class Engine:
    def __init__(self, name, server, pid, options):
        self.name, self.server, self.pid, self.options = name, server, pid, options
        self.times = {}     # step: [(seconds, processor seconds)]

    def connect(self):
        connection = pgwire.connect(port=self.server.port, timeout=3600)
        connection.query(f"set work_mem = '{self.options.work_mem}'")
        if self.name == "postgres":
            connection.query("set max_parallel_workers_per_gather = 0; "
                             "set max_parallel_maintenance_workers = 0; set jit = off; "
                             f"set maintenance_work_mem = '64MB'")
        return connection

    def copy(self, path):
        with self.connect() as connection:
            connection.query(CREATE)
        psql(self.server, f"\\copy bulk from '{path}'")

    def step(self, name, sql, path):
        before, start = cpu_seconds(self.pid), time.monotonic()
        if sql is None:
            self.copy(path)
            rows = None
        else:
            with self.connect() as connection:
                rows = connection.query(sql)[-1].rows
        seconds = time.monotonic() - start
        time.sleep(0.2)     # PostgreSQL's backend ends, and its time is the postmaster's
        used = cpu_seconds(self.pid) - before
        self.times.setdefault(name, []).append((seconds, used))
        print(f"{name:26} {self.name:9} {seconds:7.2f} s {used:7.2f} s CPU "
              f"{memory_mib(self.pid):7.0f} MiB", flush=True)
        return rows


def disk_mib(folder):
    total = 0
    for path, _, names in os.walk(folder):
        total += sum(os.stat(os.path.join(path, name)).st_blocks for name in names
                     if os.path.exists(os.path.join(path, name))) * 512
    return total / 2 ** 20


def table(engines, options):
    lines = ["| step | s PostgreSQL | s Tusk | ratio | CPU s PostgreSQL | CPU s Tusk | ratio |",
             "|---|--:|--:|--:|--:|--:|--:|"]
    theirs, ours = engines["postgres"], engines["tusk"]
    for name in ours.times:
        (a, x), (b, y) = (medians(engine.times[name], 2) for engine in (theirs, ours))
        lines.append(f"| {name} | {a:.2f} | {b:.2f} | **{b / a:.2f}** | {x:.2f} | {y:.2f} | "
                     f"{y / x if x else float('nan'):.2f} |")
    lines += ["", f"{options.rows:,} rows, work_mem {options.work_mem}, medians of {options.rounds} "
              "rounds. Ratios are Tusk / PostgreSQL: below 1 is better."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=5000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work-mem", default="4MB")
    parser.add_argument("--cache", default="2GB")
    parser.add_argument("--build", default="release")
    parser.add_argument("--only", help="these steps, beside COPY")
    parser.add_argument("--engine", help="only this one")
    parser.add_argument("--output", help="write the table there too")
    options = parser.parse_args()
    if skipped():
        return 0
    folder = tempfile.mkdtemp(prefix="tusk_bulk_")
    path = os.path.join(folder, "rows")
    engines, started = {}, []
    steps = [step for step in STEPS if not options.only or step[0] == "COPY" or
             any(word in step[0] for word in options.only.split(","))]
    try:
        theirs = postgres.Postgres({"shared_buffers": options.cache, "max_wal_size": "16GB",
                                    "autovacuum": "off", "checkpoint_timeout": "60min"}).start()
        started.append(theirs)
        psql(theirs, f"\\copy ({ROW.format(rows=options.rows)}) to '{path}'")
        if options.engine != "postgres":
            started.append(Server(options.build, ["--cache-size", options.cache, "--checkpoint-log",
                                                  "16GB"]).start())
            engines["tusk"] = Engine("tusk", started[-1], started[-1].process.pid, options)
        if options.engine != "tusk":
            engines["postgres"] = Engine("postgres", theirs, theirs.pid(), options)
        for turn in range(options.rounds):
            for name, sql in steps:
                answers = {}
                for engine in sorted(engines.values(), key=lambda e: e.name, reverse=turn % 2 == 1):
                    text = sql and sql.format(last=options.rows - 1)
                    answers[engine.name] = engine.step(name, text, path)
                if len(set(map(str, answers.values()))) > 1:
                    raise RuntimeError(f"{name}: different answers: {answers}")
            for engine in engines.values():
                print(f"{engine.name}: {disk_mib(os.path.join(engine.server.directory, 'data')):.0f} "
                      "MiB on disk", flush=True)
    finally:
        for server in started:
            server.__exit__()
        shutil.rmtree(folder, ignore_errors=True)
    if len(engines) == 2:
        tell(table(engines, options), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
