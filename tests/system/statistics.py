#!/usr/bin/env python3
"""Statistics that gather themselves: soon after many rows have changed, kept over a restart and a
kill -9, and used by the planner for values known while planning.

    tests/system/statistics.py [--build release]
"""
import argparse
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
import pgwire
from server import Server

LOOK_PERIOD = 5     # seconds between two looks of the server for tables that have changed
failures = []


def check(what, good, seen=""):
    print(f"{'ok' if good else 'FAILED'}: {what}{'' if good else f': {seen}'}", flush=True)
    failures.append(not good)


def distinct(connection, table, column):
    rows = connection.rows(f"select n_distinct, null_frac from pg_stats where tablename = '{table}' "
                           f"and attname = '{column}'")
    return rows[0] if rows else None


def wait_for(connection, table, column, wanted, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        seen = distinct(connection, table, column)
        if seen == wanted or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)


def estimate(connection, sql):
    """Rows that the plan's scan expects."""
    plan = "\n".join(row[0] for row in connection.rows("explain " + sql))
    return int(re.search(r"(?:Scan[^\n]*)rows=(\d+)", plan)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="release")
    options = parser.parse_args()
    with Server(options.build) as server:
        with pgwire.connect(port=server.port) as connection:
            connection.query("create table auto (id int primary key, k int, v text); "
                             "create table few (id int primary key); insert into few values (1), (2)")
            connection.query("insert into auto select i, case when i % 10 < 7 then 1 else i % 100 end, "
                             "null from generate_series(1, 20000) i")
            seen = wait_for(connection, "auto", "k", ("31", "0"))
            check("a filled table is analyzed by itself", seen == ("31", "0"), seen)
            check("one of two rows is not", distinct(connection, "few", "id") is None)
            check("all null", distinct(connection, "auto", "v") == ("0", "1"),
                  distinct(connection, "auto", "v"))
            common = estimate(connection, "select * from auto where k = 1")
            rare = estimate(connection, "select * from auto where k = 98")
            check("a common value is expected often", 13000 < common < 15000, common)
            check("a rare one seldom", 100 < rare < 400, rare)
            span = estimate(connection, "select * from auto where id between 5001 and 6000")
            check("both ends of a range", 800 < span < 1200, span)
            connection.query("begin; update auto set v = 'x' where id <= 5000")
            time.sleep(LOOK_PERIOD * 1.2)   # who gathers now does not see them
            connection.query("commit")
            seen = wait_for(connection, "auto", "v", ("1", "0.75"))
            check("changed rows count, too, from their commit on", seen == ("1", "0.75"), seen)
        server.kill()
        server.start()
        with pgwire.connect(port=server.port) as connection:
            seen = distinct(connection, "auto", "v")
            check("after kill -9 they are there", seen == ("1", "0.75"), seen)
            connection.query("drop table auto")
            check("and gone with their table", distinct(connection, "auto", "v") is None)
    print(f"{failures.count(False)} passed, {failures.count(True)} failed")
    return 1 if any(failures) else 0


if __name__ == "__main__":
    sys.exit(main())
