#!/usr/bin/env python3
"""Two clients and one row: waiting, re-evaluation, 40001, deadlocks, timeouts, cancel, shutdown."""
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server


class Background(threading.Thread):
    """One query of a connection, in a thread."""

    def __init__(self, connection, text):
        super().__init__()
        self.connection, self.text = connection, text
        self.result = self.error = None
        self.start()

    def run(self):
        try:
            self.result = self.connection.rows(self.text)
        except pgwire.Error as error:
            self.error = error

    def waits(self):
        self.join(0.3)
        return self.is_alive()


def expect(checks, what, connection, text, sqlstate):
    try:
        connection.rows(text)
        checks.check(what, False, "no error")
    except pgwire.Error as error:
        checks.check(what, error.sqlstate == sqlstate, str(error))


def updates(checks, a, b):
    a.rows("create table t (id int primary key, v int)")
    a.rows("insert into t values (1, 10), (2, 20), (3, 30)")
    a.rows("begin")
    a.rows("update t set v = v + 1 where id = 1")
    other = Background(b, "update t set v = v * 2 where id = 1 and v < 100")
    checks.check("the second updater waits", other.waits())
    checks.check("readers do not wait", a.rows("select v from t where id = 1") == [("11",)])
    a.rows("commit")
    other.join(5)
    checks.check("it goes on with the newest version", other.error is None and
                 a.rows("select v from t where id = 1") == [("22",)], str(other.error))
    a.rows("begin")
    a.rows("update t set v = 1000 where id = 1")
    other = Background(b, "update t set v = 0 where id = 1 and v < 100")
    other.waits()
    a.rows("commit")
    other.join(5)
    checks.check("the condition is judged again",
                 a.rows("select v from t where id = 1") == [("1000",)])
    for ending, sqlstate in (("commit", "40001"), ("rollback", None)):
        b.rows("begin isolation level repeatable read")
        b.rows("select * from t")
        a.rows("begin")
        a.rows("update t set v = v + 1 where id = 2")
        other = Background(b, "update t set v = v + 1 where id = 2")
        checks.check("repeatable read waits too", other.waits())
        a.rows(ending)
        other.join(5)
        checks.check(f"repeatable read after {ending}",
                     (other.error.sqlstate if other.error else None) == sqlstate, str(other.error))
        b.rows("rollback")


def deadlock(checks, a, b):
    a.rows("begin")
    b.rows("begin")
    a.rows("update t set v = 0 where id = 1")
    b.rows("update t set v = 0 where id = 2")
    other = Background(a, "update t set v = 1 where id = 2")
    checks.check("first waits", other.waits())
    start = time.monotonic()
    expect(checks, "deadlock is 40P01", b, "update t set v = 1 where id = 1", "40P01")
    checks.check("found at once", time.monotonic() - start < 0.5)
    b.rows("rollback")
    other.join(5)
    checks.check("the other goes on", other.error is None, str(other.error))
    a.rows("rollback")


def locks(checks, a, b):
    a.rows("begin")
    a.rows("select * from t where id = 1 for update")
    expect(checks, "nowait", b, "select * from t where id = 1 for update nowait", "55P03")
    checks.check("skip locked", b.rows("select id from t order by id for update skip locked")
                 == [("2",), ("3",)])
    b.rows("set lock_timeout = 100")
    expect(checks, "lock_timeout", b, "update t set v = 1 where id = 1", "55P03")
    b.rows("set lock_timeout = 0")
    b.rows("set statement_timeout = 100")
    expect(checks, "statement_timeout", b, "update t set v = 1 where id = 1", "57014")
    expect(checks, "statement_timeout while computing", b,
           "select count(*) from generate_series(1, 100000000)", "57014")
    b.rows("set statement_timeout = 0")
    a.rows("commit")
    a.rows("begin")
    a.rows("insert into t values (9, 9)")
    other = Background(b, "insert into t values (9, 10)")
    checks.check("a unique insert waits", other.waits())
    a.rows("commit")
    other.join(5)
    checks.check("and fails with 23505", other.error and other.error.sqlstate == "23505")


def cancel(checks, b):
    other = Background(b, "select count(*) from generate_series(1, 10000000000)")
    checks.check("a long query runs", other.waits())
    b.cancel()
    other.join(5)
    checks.check("cancel request", other.error and other.error.sqlstate == "57014")
    other = Background(b, "select pg_sleep(30)")
    other.waits()
    b.secret ^= 1
    b.cancel()
    b.secret ^= 1
    checks.check("a wrong secret cancels nothing", other.waits())
    b.cancel()
    other.join(5)
    checks.check("sleep is cancelled", other.error and other.error.sqlstate == "57014")


def shutdown(checks, server):
    a, b = pgwire.connect(port=server.port), pgwire.connect(port=server.port)
    a.rows("begin")
    a.rows("insert into t values (100, 1)")
    b.rows("begin")
    b.rows("insert into t values (101, 1)")
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    checks.check("SIGTERM lets a transaction finish", server.alive())
    a.rows("commit")
    b.close()
    checks.check("then the server ends", server.process.wait(20) == 0)
    server.start()
    c = pgwire.connect(port=server.port)
    checks.check("committed is there, open is not",
                 c.rows("select id from t where id >= 100") == [("100",)])
    c.rows("begin")
    c.rows("insert into t values (102, 1)")
    checks.check("SIGINT aborts", server.stop(signal.SIGINT) == 0)
    server.start()
    c = pgwire.connect(port=server.port)
    checks.check("aborted is not there", c.rows("select id from t where id = 102") == [])
    c.close()


def idle(checks, server, count=1000):
    def memory():
        with open(f"/proc/{server.process.pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Rss"))
    before = memory()
    connections = [pgwire.connect(port=server.port) for _ in range(count)]
    after = memory()
    active = [Background(pgwire.connect(port=server.port), "select count(*) from generate_series(1,100000)")
              for _ in range(8)]
    for one in active:
        one.join(20)
        checks.check("active beside idle", one.result == [("100000",)], str(one.error))
    checks.check("all idle ones answer", all(c.rows("select 1") == [("1",)] for c in connections))
    print(f"{count} idle connections: {(after - before) / count:.1f} KiB each")
    for connection in connections:
        connection.close()


def main():
    checks = Checks()
    with Server(sys.argv[1] if len(sys.argv) > 1 else "release") as server:
        a, b = pgwire.connect(port=server.port), pgwire.connect(port=server.port)
        updates(checks, a, b)
        deadlock(checks, a, b)
        locks(checks, a, b)
        cancel(checks, b)
        a.close()
        b.close()
        idle(checks, server)
        shutdown(checks, server)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
