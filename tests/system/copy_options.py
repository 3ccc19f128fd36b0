#!/usr/bin/env python3
"""COPY FROM's WHERE, FORCE_NULL, FORCE_NOT_NULL, and how far a COPY is (pg_stat_progress_copy); the answers are PostgreSQL 15's (--port: ask one).

    tests/system/copy_options.py [--build release] [--port N]
"""
import argparse
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

STEPS = (
    ("copy ct from stdin where a > 1 and b <> 'z'", b"1\tx\ty\n2\tx\ty\n3\tz\tq\n", None),
    ("copy ct from stdin (format csv, force_null (b), force_not_null (c))", b'4,"",\n5,,""\n', None),
    ("copy ct from stdin (force_null (b))", b"", "0A000"),
    ("copy ct from stdin (format csv, force_quote (b))", b"", "0A000"),
    ("copy ct from stdin where (select true)", b"", "0A000"),
    ("copy ct from stdin where sum(a) > 1", b"", "42803"),
    ("copy ct from stdin where nope", b"", "42703"),
    ("copy ct from stdin where a", b"", "42804"),
)
ROWS = [("2", "x", "y"), ("4", None, ""), ("5", None, "")]


def progress(checks, port):
    """Half of the data is sent, another session looks, and then the rest."""
    copying, looking = pgwire.connect(port=port), pgwire.connect(port=port)
    copying.send(b"Q", pgwire.cstr("copy ct from stdin where a > 0"))
    while copying.receive().type != "G":
        pass
    data = b"1\tx\ty\n" * 60000 + b"-1\tx\ty\n" * 50
    copying.send(b"d", data)
    seen = []
    for _ in range(200):
        seen = looking.rows("select command, type, bytes_processed, tuples_excluded, tuples_processed, datname, "
                            f"relid = 'ct'::regclass from pg_stat_progress_copy where pid = {copying.pid}")
        if seen and seen[0][2:5] == (str(len(data)), "50", "60000"):
            break
        time.sleep(0.05)
    checks.check("progress", seen == [("COPY FROM", "PIPE", str(len(data)), "50", "60000", "postgres", "t")], seen)
    copying.send(b"c")
    checks.check("rows of a COPY looked at", copying.collect()[-1].tag == "COPY 60000")
    checks.check("no progress after it", looking.rows("select * from pg_stat_progress_copy") == [])
    copying.close()
    looking.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="release")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    checks = Checks()
    with contextlib.nullcontext(options) if options.port else Server(options.build) as server:
        connection = pgwire.connect(port=server.port)
        connection.query("create table ct (a int, b text, c text)")
        for sql, data, expected in STEPS:
            state = None
            try:
                connection.copy_in(sql, data)
            except pgwire.Error as error:
                state = error.sqlstate
            checks.check(sql, state == expected, f" answered {state}")
        rows = connection.query("select * from ct order by a")[-1].rows
        checks.check("rows", rows == ROWS, f" are {rows}")
        progress(checks, server.port)
        connection.query("drop table ct")
        connection.close()
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
