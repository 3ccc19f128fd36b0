#!/usr/bin/env python3
"""Sequences under kill -9: whatever value a client was told is never given again, committed or not.

    tests/system/sequences.py [--build release] [--rounds 3] [--seconds 1.5]
"""
import argparse
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
import pgwire
from server import Checks, Server

CLIENTS = 4


def work(port, told, stop, seed):
    """Values as clients see them: alone, of inserted rows, in transactions that are rolled back."""
    choose = random.Random(seed)
    try:
        with pgwire.connect(port=port) as connection:
            while not stop.is_set():
                kind = choose.randrange(4)
                if kind == 0:
                    told.append(("s", int(connection.rows("select nextval('s')")[0][0])))
                elif kind == 1:
                    rows = connection.rows("insert into t (v) select 1 from generate_series(1, 5) returning id")
                    told.extend(("t", int(row[0])) for row in rows)
                elif kind == 2:
                    connection.query("begin")
                    told.append(("t", int(connection.rows(
                        "insert into t (v) values (2) returning id")[0][0])))
                    connection.query("rollback")
                else:
                    rows = connection.rows("select nextval('s') from generate_series(1, 50)")
                    told.extend(("s", int(row[0])) for row in rows)
    except OSError:
        pass  # the server was killed under us


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5)
    options = parser.parse_args()
    checks = Checks()
    told = []
    with Server(options.build) as server:
        with pgwire.connect(port=server.port) as connection:
            connection.query("create sequence s; create table t (id bigserial primary key, v int); "
                             "create table i (id int generated always as identity, v int)")
        for turn in range(options.rounds):
            stop = threading.Event()
            threads = [threading.Thread(target=work, args=(server.port, told, stop, turn * 100 + n))
                       for n in range(CLIENTS)]
            for thread in threads:
                thread.start()
            time.sleep(options.seconds)
            server.kill()
            stop.set()
            for thread in threads:
                thread.join()
            server.start()
            with pgwire.connect(port=server.port) as connection:
                rows = connection.rows("select count(*), count(distinct id) from t")[0]
                checks.check("no row twice", rows[0] == rows[1], rows)
                top = {name: max((value for which, value in told if which == name), default=0)
                       for name in "st"}
                told.append(("s", int(connection.rows("select nextval('s')")[0][0])))
                told.append(("t", int(connection.rows(
                    "insert into t (v) values (3) returning id")[0][0])))
                checks.check("s goes on above what was told", told[-2][1] > top["s"], (told[-2], top))
                checks.check("t goes on above what was told", told[-1][1] > top["t"], (told[-1], top))
        checks.check(f"{len(told)} values, none twice", len(told) == len(set(told)),
                     len(told) - len(set(told)))
        with pgwire.connect(port=server.port) as connection:
            connection.query("insert into i (v) select 1 from generate_series(1, 10)")
        server.stop()
        server.start()
        with pgwire.connect(port=server.port) as connection:
            connection.query("insert into i (v) values (2)")
            rows = connection.rows("select count(*), count(distinct id) from i")[0]
            checks.check("identity over a restart", rows == ("11", "11"), rows)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
