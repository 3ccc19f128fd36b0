#!/usr/bin/env python3
"""How large a database is on disk, beside PostgreSQL 15.

    bench/size.py [--scale 50] [--rows 1000000]

The tables of pgbench at that scale, and so many rows of JSON-like text. Sizes are taken after a checkpoint:
Tusk's data file as a whole, PostgreSQL's tables with their indexes and TOAST (its catalog, 7 MB, is not
counted). The log is not counted in either; what was written to it is shown.
"""
import argparse
import os
import random
import subprocess
import sys

from common import Server, pgwire, postgres


def pgbench_tables(port, options):
    done = subprocess.run([f"{postgres.BIN}/pgbench", "-h", "127.0.0.1", "-p", str(port), "-U",
                           "postgres", "-i", "-q", "-s", str(options.scale), "postgres"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-500:] + done.stderr[-500:])


def document(number, chance):
    names = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Tony", "Leslie", "Robin")
    return ('{"id": %d, "name": "%s %s", "email": "user%d@example.org", "active": %s, "score": %.4f,'
            ' "tags": ["%s", "%s"], "address": {"street": "%d Main Street", "city": "City %d",'
            ' "zip": "%05d"}, "note": "%s"}'
            % (number, chance.choice(names), chance.choice(names), number,
               chance.choice(("true", "false")), chance.random() * 1000,
               chance.choice(("red", "green", "blue")), chance.choice(("old", "new", "used")),
               chance.randrange(10000), chance.randrange(500), chance.randrange(100000),
               "%016x" % chance.getrandbits(64)))


def documents(port, options):
    chance = random.Random(1)
    with pgwire.connect(port=port, timeout=600) as connection:
        connection.query("create table document (id int primary key, body text not null)")
        step = 50000
        for first in range(0, options.rows, step):
            data = "".join(f"{i}\t{document(i, chance)}\n"
                           for i in range(first, min(first + step, options.rows)))
            connection.copy_in("copy document from stdin", data.encode())


def checkpoint(port, *more):
    with pgwire.connect(port=port, timeout=600) as connection:
        for statement in (*more, "checkpoint"):
            connection.query(statement)


def of_tusk(fill, options):
    with Server("release") as server:
        fill(server.port, options)
        checkpoint(server.port)
        with pgwire.connect(port=server.port) as connection:
            log = int(connection.rows("select tusk_current_lsn()")[0][0], 16)
        return os.path.getsize(os.path.join(server.directory, "data", "data.tusk")), log


def of_postgres(fill, tables, options):
    with postgres.Postgres({"max_wal_size": "20GB"}) as server:
        with pgwire.connect(port=server.port) as connection:
            start = connection.rows("select pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0]
        fill(server.port, options)
        checkpoint(server.port)
        with pgwire.connect(port=server.port) as connection:
            size = sum(int(connection.rows(f"select pg_total_relation_size('{table}')")[0][0])
                       for table in tables)
            end = connection.rows("select pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0]
        return size, int(end) - int(start)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--scale", type=int, default=50)
    arguments.add_argument("--rows", type=int, default=1000000)
    options = arguments.parse_args()
    print("| | PostgreSQL MB | Tusk MB | ratio | log PostgreSQL MB | log Tusk MB |\n"
          "|---|--:|--:|--:|--:|--:|")
    for name, fill, tables in (
            (f"pgbench, scale {options.scale}", pgbench_tables,
             ("pgbench_accounts", "pgbench_tellers", "pgbench_branches", "pgbench_history")),
            (f"{options.rows:,} rows of JSON-like text", documents, ("document",))):
        theirs, their_log = of_postgres(fill, tables, options) if postgres.INSTALLED else (0, 0)
        ours, our_log = of_tusk(fill, options)
        print(f"| {name} | {theirs / 1e6:.0f} | {ours / 1e6:.0f} |"
              f" **{ours / theirs if theirs else 0:.2f}** | {their_log / 1e6:.0f} |"
              f" {our_log / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main()
