#!/usr/bin/env python3
"""What one client may take, as settings: connections, size of a statement, its memory, rows a cursor keeps.

    tests/system/limits.py [BUILD]
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

LIMITS = {"max_connections": "3", "max_statement_size": "64kB", "max_statement_memory": "8MB",
          "max_held_rows": "100"}


def refused(checks, what, state, words, action):
    try:
        answer = action()
        checks.check(what, False, f"went on: {str(answer)[:100]}")
    except pgwire.Error as error:
        checks.check(what, error.sqlstate == state and words in f"{error.message} {error.detail}",
                     f"{error}, detail {error.detail}")


def main():
    checks = Checks()
    arguments = [word for name, value in LIMITS.items() for word in ("-c", f"{name}={value}")]
    with Server(sys.argv[1] if len(sys.argv) > 1 else "release", arguments) as server:
        with open(os.path.join(server.directory, "data", "tusk.conf"), encoding="utf-8") as file:
            comments = file.read()
        one, two, three = (pgwire.connect(port=server.port) for _ in range(3))
        for name, value in LIMITS.items():
            checks.check(f"show {name}", one.rows(f"show {name}") == [(value,)], one.rows(f"show {name}"))
            checks.check(f"{name} in tusk.conf", f"#{name} = " in comments)
        refused(checks, "a fourth connection", "53300", "too many clients", lambda: pgwire.connect(port=server.port))
        three.close()

        long = f"select length('{'x' * 70000}')"
        refused(checks, "a long statement", "54000", "max_statement_size", lambda: one.query(long))
        refused(checks, "a long one to prepare", "54000", "max_statement_size", lambda: one.execute(long))
        checks.check("a shorter one", one.rows(f"select length('{'x' * 60000}')") == [("60000",)])
        checks.check("long parameters", one.execute("select length($1)", ["x" * 70000], [25]).rows == [("70000",)])

        refused(checks, "memory", "53200", "memory",
                lambda: one.query("select count(*) from (select array_agg(g) from generate_series(1, 2000000) g) x"))
        checks.check("the other session goes on", two.rows("select 1") == [("1",)])

        for kind, options in (("WITH HOLD", "cursor with hold"), ("SCROLL", "scroll cursor")):
            for rows in (100, 101):
                sql = f"begin; declare c {options} for select g from generate_series(1, {rows}) g; move all from c; commit"
                if rows == 100:
                    checks.check(f"{kind}: {rows} rows", one.query(sql)[-1].tag == "COMMIT")
                    one.query("close all")
                    continue
                refused(checks, f"{kind}: {rows} rows", "53400", "max_held_rows", lambda: one.query(sql))
                one.query("rollback")
        checks.check("a cursor that keeps none reads all", one.query(
            "begin; declare c no scroll cursor for select g from generate_series(1, 5000) g; move all from c; commit")
            [2].tag == "MOVE 5000")
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
