#!/usr/bin/env python3
"""COPY FROM's WHERE, FORCE_NULL, FORCE_NOT_NULL; the answers are PostgreSQL 15's (--port: ask one).

    tests/system/copy_options.py [--build release] [--port N]
"""
import argparse
import contextlib
import os
import sys

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
        connection.query("drop table ct")
        connection.close()
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
