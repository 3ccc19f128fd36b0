#!/usr/bin/env python3
"""tusk-router in front of one tuskd: nobody can tell the difference, but where it is said.

    tests/system/router.py [BUILD]

The protocol's scenarios give message by message what they give without it; so do golden files. Then
pools and their queue, cancel, what is tracked of SET, a shard that goes away and comes back, SIGTERM.
"""
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pgwire
import protocol
from cluster import Router, connect, sqlstate
from server import ROOT, Checks, Server

GOLDEN = ("dml", "queries", "ddl_savepoints", "sets", "with")


def same_messages(checks, server, router):
    """But for strings of several statements."""
    direct = protocol.run(server.port)
    routed = protocol.run(router.port)
    for lines in (direct, routed):
        del lines["simple"]
    for name in direct:
        checks.check(f"messages: {name}", direct[name] == routed[name],
                     next((f"{a} / {b}" for a, b in zip(direct[name], routed[name]) if a != b), ""))


def golden(checks, router):
    for extended in ([], ["--extended"]):
        files = [os.path.join(ROOT, "tests", "golden", f + ".slt") for f in GOLDEN]
        run = subprocess.run([os.path.join(ROOT, "tests", "slt", "slt.py"), "--port", str(router.port),
                              "--engine", "tusk", *extended, *files],
                             capture_output=True, text=True, check=False)
        checks.check(f"golden files {extended}", run.returncode == 0, run.stdout[-1500:])


def settings(checks, router):
    """Two clients take turns at one connection, each with settings of its own."""
    with connect(router) as a, connect(router) as b:
        a.query("create schema sa; create schema sb")
        a.query("create table sa.t as select 'a' as who")
        a.query("create table sb.t as select 'b' as who")
        a.query("set search_path = sa, public")
        b.query("set search_path = sb, public")
        a.query("set timezone = 'Europe/Berlin'")
        who = []
        for _ in range(3):
            who += [a.query("select who from t")[-1].rows[0][0],
                    b.query("select who from t")[-1].rows[0][0]]
        checks.check("search_path is each client's", who == ["a", "b"] * 3, who)
        zones = [c.query("select current_setting('timezone') from t")[-1].rows[0][0] for c in (a, b)]
        checks.check("TimeZone is each client's", zones == ["Europe/Berlin", "UTC"], zones)
        a.query("begin")
        a.query("set local search_path = sb, public")
        inside = a.query("select who from t")[-1].rows[0][0]
        a.query("rollback")
        after = a.query("select who from t")[-1].rows[0][0]
        checks.check("SET LOCAL ends with its block", (inside, after) == ("b", "a"), (inside, after))
        a.query("begin")
        a.query("select who from t")
        a.query("set search_path = sb, public")
        a.query("commit")
        after = a.query("select who from t")[-1].rows[0][0]
        other = b.query("select who from t")[-1].rows[0][0]
        checks.check("SET in a block stays after COMMIT", (after, other) == ("b", "b"), (after, other))
        b.query("set search_path = sa, public")
        after = b.query("select who from t")[-1].rows[0][0]
        checks.check("and nobody else has it", after == "a", after)
        a.query("drop table sa.t")
        a.query("drop table sb.t")
        a.query("drop schema sa")
        a.query("drop schema sb")


def prepared(checks, router):
    """PREPARE in SQL: each client's own, over one connection that both use in turn."""
    with connect(router) as a, connect(router) as b:
        def outcome(sql, connection=a):
            try:
                return connection.query(sql)[-1].rows
            except pgwire.Error as error:
                return error.sqlstate
        a.query("create table prepared (id int primary key, t text)")
        got = outcome("prepare p (int, text) as insert into prepared values ($1, $2) returning t"), \
            outcome("prepare p as select t from prepared where id = $1", b), outcome("execute p (1, 'one')"), \
            outcome("execute p(1) ;", b), outcome("/* a */ execute /* b */ p ( 1 + 1 , upper('two') ) -- c"), \
            outcome('execute "p" (2)', b)
        checks.check("PREPARE and EXECUTE", got == ([], [], [("one",)], [("one",)], [("TWO",)], [("TWO",)]), got)
        got = outcome("prepare p as select 1"), outcome("prepare q as select * from nowhere"), outcome("execute q"), \
            outcome("execute p (1)"), outcome("execute p (1, 'again')"), outcome("select count(*) from prepared")
        checks.check("what is wrong with them", got == ("42P05", "42P01", "26000", "42601", "23505", [("2",)]), got)
        outcome("begin")
        got = outcome("execute p (3, 'three')"), outcome("prepare r as select * from nowhere"), outcome("select 1")
        outcome("rollback")
        checks.check("in a block", got == ([("three",)], "42P01", "25P02"), got)
        got = outcome("select name, from_sql from pg_prepared_statements"), \
            outcome("explain execute p (1)", b)[0][0].startswith("Index Scan"), outcome("deallocate p", b), \
            outcome("execute p (1)", b), outcome("execute p (4, 'four')"), outcome("discard all"), \
            outcome("execute p (5, 'five')")
        checks.check("DEALLOCATE", got == ([("p", "t")], True, [], "26000", [("four",)], [], "26000"), got)
        a.query("drop table prepared")


def notify(checks, router, server):
    """LISTEN is the router's own, NOTIFY the server's."""
    with connect(router) as a, connect(router) as b, connect(server) as direct:
        a.query("listen news")
        b.query("notify news, 'one'")
        for sql in ("begin", "notify news, 'two'", "rollback"):
            b.query(sql)
        direct.query("select pg_notify('news', 'three')")
        got = []
        a.sock.settimeout(5)
        while len(got) < 2:
            message = a.receive()
            if message.type == "A":
                got.append(message.body[4:].split(b"\0")[:2])
        checks.check("LISTEN", sorted(got) == [[b"news", b"one"], [b"news", b"three"]], got)
        got = a.query("select pg_listening_channels()")[-1].rows
        checks.check("pg_listening_channels", got == [("news",)], got)


def pools(checks, build, server):
    """One connection for all; whoever waits too long is told so."""
    with Router(build, f"n1=127.0.0.1:{server.port}",
                ["--workers", "1", "-c", "router_pool_size=1", "-c", "router_queue_timeout=1500",
                 "-c", "router_queue_size=1"]) as router:
        with connect(router) as a, connect(router) as b, connect(router) as c:
            a.query("create table pool (a int)")
            a.query("begin")
            a.query("insert into pool values (1)")
            outcome = {}

            def wait(name, connection):
                outcome[name] = sqlstate(lambda: connection.query("select count(*) from pool"))
            one = threading.Thread(target=wait, args=("b", b))
            one.start()
            time.sleep(0.4)
            checks.check("the queue is bounded",
                         sqlstate(lambda: c.query("select count(*) from pool")) == "53300")
            one.join()
            checks.check("and so is the time in it", outcome["b"] == "53300", outcome)
            two = threading.Thread(target=wait, args=("c", c))
            two.start()
            time.sleep(0.2)
            a.query("commit")
            two.join()
            checks.check("who waits gets the connection", outcome["c"] is None, outcome)
            a.query("drop table pool")


def cancel(checks, router):
    with connect(router) as a:
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(
            sqlstate(lambda: a.query("select pg_sleep(20)"))))
        start = time.monotonic()
        thread.start()
        time.sleep(0.5)
        a.cancel()
        thread.join()
        checks.check("a cancel reaches the shard",
                     outcome == ["57014"] and time.monotonic() - start < 10, outcome)
        checks.check("and the client goes on", a.query("select 1")[-1].rows == [("1",)])


def shard_restarts(checks, server, router):
    with connect(router) as a:
        a.query("create table restarts (a int)")
        a.query("insert into restarts values (1)")
        a.query("begin")
        a.query("select * from restarts")
        server.kill()
        state = sqlstate(lambda: a.query("select * from restarts"))
        checks.check("a lost shard in a block is said so", state == "08007", state)
        a.query("rollback")
        state = sqlstate(lambda: a.query("select * from restarts"))
        checks.check("a shard that is not there is said so", state == "08001", state)
        for _ in range(8):
            sqlstate(lambda: a.query("select * from restarts"))
        start = time.monotonic()
        sqlstate(lambda: a.query("select * from restarts"))
        server.start()
        time.sleep(1.2)
        rows = a.query("select * from restarts")[-1].rows
        checks.check("and found again", rows == [("1",)], rows)
        a.query("drop table restarts")
        checks.check("an open breaker does not wait long", time.monotonic() - start < 20)


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    with Server(build) as server:
        with Router(build, f"n1=127.0.0.1:{server.port}") as router:
            same_messages(checks, server, router)
            golden(checks, router)
            settings(checks, router)
            prepared(checks, router)
            notify(checks, router, server)
            cancel(checks, router)
            pools(checks, build, server)
            shard_restarts(checks, server, router)
            with connect(router) as a:
                a.query("create table stop (a int)")
                a.query("begin")
                a.query("insert into stop values (1)")
                router.process.terminate()
                time.sleep(0.5)
                checks.check("SIGTERM waits for a block", router.alive())
                a.query("commit")
                checks.check("and ends behind it", router.process.wait(20) == 0)
        with connect(server) as direct:
            rows = direct.query("select * from stop")[-1].rows
            checks.check("what was committed is there", rows == [("1",)], rows)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
