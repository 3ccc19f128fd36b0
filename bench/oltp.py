#!/usr/bin/env python3
"""sysbench's OLTP set, driven by pgbench, beside PostgreSQL 15.

    bench/oltp.py [--rows 100000] [--seconds 5] [--rounds 3] [--clients 1,8,32] [--protocol prepared]
                  [--scripts point_select,read_only,...] [--build release] [--output FILE]

Tables, statements and their numbers in a transaction are those of sysbench 1.0 (oltp_*.lua), as its own
driver sends them. What differs: ids are drawn evenly, c and pad differ in their first part only, and a
row that is deleted and inserted again belongs to one client (sysbench starts again after the duplicate
keys that two would get). Durability, cache and turns are as in pgbench.py.
"""
import argparse
import os
import shutil
import sys
import tempfile

from common import Server, medians, postgres, skipped, tell
from pgbench import Engine

RANGE = 99  # sysbench's range_size, less one
GROUPS = "-".join(["68487932199"] * 9)
C = "lpad(({0})::text, 11, '0') || '-" + GROUPS + "'"
PAD = "lpad(({0})::text, 11, '0') || '-" + "-".join(["22195207048"] * 4) + "'"

TABLE = "(id int primary key, k int not null default 0, c char(120) not null default '', " \
        "pad char(60) not null default '')"
FILL = "select i, (i::bigint * 7919 % {rows})::int + 1, " + C.format("i") + ", " + PAD.format("i") + \
       " from generate_series(1, {rows}) i"

POINT = "\\set id random(1, :rows)\nselect c from sbtest1 where id = :id;\n"
SPAN = "\\set id random(1, :rows)\n\\set last :id + " + str(RANGE) + "\n"
BETWEEN = "from sbtest1 where id between :id and :last"
READS = POINT * 10 + \
    SPAN + f"select c {BETWEEN};\n" + \
    SPAN + f"select sum(k) {BETWEEN};\n" + \
    SPAN + f"select c {BETWEEN} order by c;\n" + \
    SPAN + f"select distinct c {BETWEEN} order by c;\n"
INDEXED = "\\set id random(1, :rows)\nupdate sbtest1 set k = k + 1 where id = :id;\n"
UNINDEXED = "\\set id random(1, :rows)\n\\set value random(1, 2000000000)\n" \
            f"update sbtest1 set c = {C.format(':value')} where id = :id;\n"
# An id of the client's own: ids of one remainder by 64.
DELETE_INSERT = "\\set own random(0, :rows / 64 - 1) * 64 + :client_id % 64 + 1\n" \
                "\\set k random(1, :rows)\ndelete from sbtest1 where id = :own;\n" \
                f"insert into sbtest1 (id, k, c, pad) values (:own, :k, {C.format(':k')}, " \
                f"{PAD.format(':k')});\n"
SCRIPTS = {
    "point_select": POINT,
    "read_only": "begin;\n" + READS + "commit;\n",
    "read_write": "begin;\n" + READS + INDEXED + UNINDEXED + DELETE_INSERT + "commit;\n",
    "write_only": "begin;\n" + INDEXED + UNINDEXED + DELETE_INSERT + "commit;\n",
    "update_index": INDEXED,
    "update_non_index": UNINDEXED,
    "insert": "\\set n :n + 1\n\\set id :client_id * 10000000 + :n\n\\set k random(1, :rows)\n"
              f"insert into sbtest2 (id, k, c, pad) values (:id, :k, {C.format(':k')}, "
              f"{PAD.format(':k')});\n",
    "delete": "\\set id random(1, :rows)\ndelete from sbtest2 where id = :id;\n",
}


def prepare(engine, options):
    engine.query(f"create table sbtest1 {TABLE}; create table sbtest2 {TABLE}")
    engine.query(f"insert into sbtest1 {FILL.format(rows=options.rows)}; "
                 "create index k_1 on sbtest1 (k); create index k_2 on sbtest2 (k)")
    engine.query("analyze sbtest1")
    engine.query("checkpoint")


def before(engine, script, options):
    """The second table, which inserts fill and deletes empty."""
    if script in ("insert", "delete"):
        engine.query("truncate sbtest2")
    if script == "delete":
        engine.query(f"insert into sbtest2 {FILL.format(rows=options.rows)}")


def table(cells, options):
    lines = ["| script | clients | tps PostgreSQL | tps Tusk | ratio | CPU µs/tx PostgreSQL "
             "| CPU µs/tx Tusk | ratio | p99 ms PostgreSQL | p99 ms Tusk |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for (script, clients), runs in cells.items():
        theirs, ours = (medians(runs[name], 3) for name in ("postgres", "tusk"))
        lines.append(f"| {script} | {clients} | {theirs[0]:,.0f} | {ours[0]:,.0f} | "
                     f"**{ours[0] / theirs[0]:.2f}** | {theirs[1]:.0f} | {ours[1]:.0f} | "
                     f"{ours[1] / theirs[1]:.2f} | {theirs[2]:.2f} | {ours[2]:.2f} |")
    lines += ["", f"{options.rows:,} rows, protocol {options.protocol}, {options.seconds} s a run, medians of "
              f"{options.rounds} rounds, {os.cpu_count()} cores shared by server and pgbench. Ratios are "
              "Tusk / PostgreSQL: throughput above 1 and CPU below 1 are better."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--scripts", default=",".join(SCRIPTS))
    parser.add_argument("--protocol", default="prepared")
    parser.add_argument("--build", default="release")
    parser.add_argument("--output", help="write the table there too")
    options = parser.parse_args()
    if skipped():
        return 0
    folder = tempfile.mkdtemp(prefix="tusk_oltp_")
    cells = {}
    try:
        for script, text in SCRIPTS.items():
            with open(f"{folder}/{script}.sql", "w", encoding="utf-8") as file:
                file.write(text)
        with postgres.Postgres({"shared_buffers": "512MB", "max_wal_size": "8GB",
                                "checkpoint_timeout": "30min"}) as theirs, \
                Server(options.build, ["--cache-size", "512MB"]) as ours:
            engines = [Engine("postgres", theirs, theirs.pid()),
                       Engine("tusk", ours, ours.process.pid)]
            for engine in engines:
                prepare(engine, options)
            for turn in range(options.rounds):
                for script in options.scripts.split(","):
                    for clients in map(int, options.clients.split(",")):
                        for engine in engines if turn % 2 == 0 else reversed(engines):
                            before(engine, script, options)
                            words = ["-f", f"{folder}/{script}.sql", "-D", f"rows={options.rows}", "-D",
                                     "n=0", "--max-tries=10"]
                            result = engine.run(script, options.protocol, clients, options.seconds,
                                                folder, False, words)
                            cells.setdefault((script, clients), {}) \
                                .setdefault(engine.name, []).append(result)
                            print(f"round {turn + 1} {script:16} {clients:3} {engine.name:8} "
                                  f"{result[0]:9.0f} tps {result[1]:6.0f} us p99 {result[2]:7.2f} ms",
                                  flush=True)
            counts = {engine.name: engine.query("select count(*) from sbtest1") for engine in engines}
            if set(map(str, counts.values())) != {str([(str(options.rows),)])} and \
                    len(set(map(str, counts.values()))) != 1:
                raise RuntimeError(f"rows were lost: {counts}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tell(table(cells, options), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
