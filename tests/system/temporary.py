#!/usr/bin/env python3
"""Temporary objects end with their session, however that ends, and with the server's death.

    tests/system/temporary.py [--build release]
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire  # noqa: E402
import server  # noqa: E402

COUNT = """select (select count(*) from pg_namespace where nspname like 'pg_temp%'),
    (select count(*) from pg_class where relpersistence = 't')"""
MAKE = """create temp table t (id serial primary key, v text unique); insert into t (v) select i from
    generate_series(1, 1000) i; create temp view w as select * from t; create temp sequence s"""


def counts(port):
    connection = pgwire.connect(port=port)
    rows = connection.rows(COUNT)
    connection.close()
    return [int(value) for value in rows[0]]


def wait_for(port, wanted):
    end = time.monotonic() + 30
    while counts(port) != wanted:
        if time.monotonic() > end:
            sys.exit(f"temporary objects: {counts(port)}, and not {wanted}")
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    options = parser.parse_args()
    with server.Server(options.build) as tusk:
        own = pgwire.connect(port=tusk.port)
        own.query(MAKE)
        assert counts(tusk.port)[0] == 1 and counts(tusk.port)[1] > 2
        own.close()
        wait_for(tusk.port, [0, 0])
        # in a transaction that never ends
        own = pgwire.connect(port=tusk.port)
        own.query(MAKE)
        own.query("begin; insert into t (v) values ('x'); create temp table u (a int)")
        own.close()
        wait_for(tusk.port, [0, 0])
        # by somebody else's hand
        own = pgwire.connect(port=tusk.port)
        own.query(MAKE)
        pid = own.rows("select pg_backend_pid()")[0][0]
        other = pgwire.connect(port=tusk.port)
        other.query(f"select pg_terminate_backend({pid})")
        other.close()
        wait_for(tusk.port, [0, 0])
        # by the server's death
        own = pgwire.connect(port=tusk.port)
        own.query(MAKE)
        tusk.kill()
        tusk.start()
        wait_for(tusk.port, [0, 0])
    print("temporary objects ended with their sessions")


if __name__ == "__main__":
    main()
