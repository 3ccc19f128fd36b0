#!/usr/bin/env python3
"""Which locks go together, advisory locks, who is blocked by whom, deadlocks in words, pg_stat_activity,
and that nobody starves in a queue.

    tests/system/locks.py [release|debug | --postgres]

--postgres asks PostgreSQL 15 the same, which shows that these are its answers.
"""
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
import postgres
from server import Checks, Server

LOCKS = """select mode, granted, classid, objid, objsubid from pg_locks
           where locktype = 'advisory' order by 1, 2, 3, 4, 5"""


OURS = [True]


class Background:
    """A statement that may wait."""

    def __init__(self, connection, sql):
        self.result = self.error = None
        self.connection, self.sql = connection, sql
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            self.result = [list(row) for row in self.connection.rows(self.sql)]
        except pgwire.Error as error:
            self.error = error

    def done(self, timeout=20):
        self.thread.join(timeout)
        return not self.thread.is_alive()


def blockers(control, pid):
    return control.rows(f"select pg_blocking_pids({pid})")[0][0]


def waits(control, pid, by=None):
    """Until it is blocked."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = blockers(control, pid)
        if found != "{}" and (by is None or found == "{%s}" % by):
            return True
        time.sleep(0.005)
    return False


def refused(connection, sql):
    try:
        connection.query(sql)
    except pgwire.Error as error:
        return error.sqlstate
    return None


def advisory(checks, connect):
    a, b, c = connect(), connect(), connect()
    def free(key):
        """To somebody else?"""
        got = b.rows(f"select pg_try_advisory_lock({key})")[0][0] == "t"
        if got:
            b.query(f"select pg_advisory_unlock({key})")
        return got

    def equal(what, found, expected):
        found = [list(row) for row in found] if isinstance(found, list) else found
        checks.check(what, found == expected, f"{found} instead of {expected}")

    equal("a lock is taken as void", a.rows("select pg_advisory_lock(1)"), [[""]])
    equal("and seen", a.rows(LOCKS), [["ExclusiveLock", "t", "0", "1", "1"]])
    checks.check("by others too", not free(1))
    equal("a session does not keep out itself", a.rows("select pg_try_advisory_lock(1)"), [["t"]])
    equal("unlocked once", a.rows("select pg_advisory_unlock(1)"), [["t"]])
    checks.check("it is still held", not free(1))
    equal("unlocked twice", a.rows("select pg_advisory_unlock(1)"), [["t"]])
    checks.check("it is free", free(1))
    equal("unlocked too often", a.rows("select pg_advisory_unlock(1)"), [["f"]])
    notice = a.notices[-1] if a.notices else {}
    equal("with a warning", (notice.get("S"), notice.get("C"), notice.get("M")),
          ("WARNING", "01000", "you don't own a lock of type ExclusiveLock"))
    a.query("select pg_advisory_unlock_shared(1)")
    equal("the same, shared", a.notices[-1].get("M"), "you don't own a lock of type ShareLock")
    equal("strict", a.rows("select pg_advisory_lock(null), pg_advisory_unlock(null::bigint) is null"),
          [[None, "t"]])

    a.query("select pg_advisory_lock_shared(1)")
    equal("sharers go together", b.rows("select pg_try_advisory_lock_shared(1)"), [["t"]])
    equal("not with an exclusive one", c.rows("select pg_try_advisory_lock(1)"), [["f"]])
    equal("nor may a sharer upgrade", a.rows("select pg_try_advisory_lock(1)"), [["f"]])
    b.query("select pg_advisory_unlock_shared(1)")
    equal("until it is alone", a.rows("select pg_try_advisory_lock(1)"), [["t"]])
    equal("it has both", a.rows(LOCKS), [["ExclusiveLock", "t", "0", "1", "1"],
                                         ["ShareLock", "t", "0", "1", "1"]])
    a.query("select pg_advisory_unlock(1)")
    equal("one is left", a.rows(LOCKS), [["ShareLock", "t", "0", "1", "1"]])
    equal("all are given back", a.rows("select pg_advisory_unlock_all()"), [[""]])
    equal("nothing is left", a.rows(LOCKS), [])

    a.query("select pg_advisory_lock(5, 6), pg_advisory_lock(-1), pg_advisory_lock(-5, -6)")
    equal("numbers in pg_locks", a.rows(LOCKS), [
        ["ExclusiveLock", "t", "5", "6", "2"],
        ["ExclusiveLock", "t", "4294967291", "4294967290", "2"],
        ["ExclusiveLock", "t", "4294967295", "4294967295", "1"]])
    checks.check("a pair is not a bigint", free((5 << 32) + 6))
    checks.check("the pair is taken", not free("5, 6"))
    checks.check("negative ones", not free(-1) and not free("-5, -6"))
    a.query("discard all")
    equal("DISCARD ALL", a.rows(LOCKS), [])

    a.query("begin")
    a.query("select pg_advisory_xact_lock(7), pg_advisory_lock(8)")
    equal("a transaction's lock is not the session's",
          a.rows("select pg_advisory_unlock(7)"), [["f"]])
    a.query("savepoint s")
    a.query("select pg_advisory_xact_lock(9), pg_advisory_xact_lock_shared(10)")
    a.query("select pg_advisory_xact_lock(7)")
    checks.check("held in the savepoint", not free(9))
    a.query("rollback to s")
    checks.check("free behind it", free(9) and free(10))
    checks.check("what was held before is held", not free(7))
    a.query("rollback")
    checks.check("the transaction's are free", free(7))
    checks.check("the session's is not", not free(8))
    a.query("begin")
    checks.check("after an error", refused(a, "select pg_advisory_lock(11), 1/(random()*0)::int") == "22012")
    a.query("rollback")
    checks.check("what was taken before an error stays", not free(11))
    a.query("select pg_advisory_unlock_all()")

    a.query("select pg_advisory_lock(1)")
    b.query("set lock_timeout = '50ms'")
    checks.check("lock_timeout", refused(b, "select pg_advisory_lock(1)") == "55P03")
    b.query("set lock_timeout = 0; set statement_timeout = '50ms'")
    checks.check("statement_timeout", refused(b, "select pg_advisory_lock_shared(1)") == "57014")
    b.query("set statement_timeout = 0")
    waiting = Background(b, "select pg_advisory_lock(1)")
    checks.check("pg_blocking_pids", waits(c, b.pid, a.pid), blockers(c, b.pid))
    equal("who waits is seen", c.rows(
        f"select granted from pg_locks where locktype = 'advisory' and pid = {b.pid}"), [["f"]])
    a.close()
    checks.check("the end of a session frees its locks", waiting.done() and not waiting.error)
    b.close()
    c.close()


# Chapter 13.3 of PostgreSQL's manual: of each mode those that it conflicts with.
TABLE_MODES = ("access share", "row share", "row exclusive", "share update exclusive", "share",
               "share row exclusive", "exclusive", "access exclusive")
TABLE_CONFLICTS = ("7", "67", "4567", "34567", "23567", "234567", "1234567", "01234567")
ROW_MODES = ("key share", "share", "no key update", "update")
ROW_CONFLICTS = ("3", "23", "123", "0123")


def compatible(checks, connect):
    """Every pair of modes, the second with NOWAIT; and who has a mode may have any other."""
    a, b = connect(), connect()
    a.query("create table m (id int primary key)")
    a.query("insert into m values (1)")
    for what, modes, conflicts, sql in (
            ("tables", TABLE_MODES, TABLE_CONFLICTS, "lock table m in {} mode {}"),
            ("rows", ROW_MODES, ROW_CONFLICTS, "select id from m where id = 1 for {} {}")):
        wrong = []
        for i, held in enumerate(modes):
            for j, wanted in enumerate(modes):
                a.query("begin")
                a.query(sql.format(held, ""))
                b.query("begin")
                found = refused(b, sql.format(wanted, "nowait"))
                b.query("rollback")
                if found != ("55P03" if str(j) in conflicts[i] else None):
                    wrong.append((held, wanted, found))
                if refused(a, sql.format(wanted, "nowait")) is not None:
                    wrong.append((held, wanted, "its own"))
                a.query("rollback")
        checks.check(f"modes of {what}", not wrong, str(wrong[:3]))
    a.query("drop table m")
    a.close()
    b.close()


def blocked(checks, connect):
    a, b, c, d = connect(), connect(), connect(), connect()
    d.query("create table t (id int primary key, v int)")
    d.query("insert into t values (1, 0), (2, 0), (3, 0)")
    checks.check("nobody is blocked", blockers(d, a.pid) == "{}" and blockers(d, 0) == "{}")
    a.query("begin")
    a.query("update t set v = 1 where id = 1")
    first = Background(b, "update t set v = 2 where id = 1")
    checks.check("by the writer of a row", waits(d, b.pid, a.pid), blockers(d, b.pid))
    second = Background(c, "update t set v = 3 where id = 1")
    checks.check("by who is ahead in line", waits(d, c.pid, b.pid), blockers(d, c.pid))
    ask = "select pg_isolation_test_session_is_blocked({}, '{{{}}}')"
    true, false = [("t",)], [("f",)]
    checks.check("pg_isolation_test_session_is_blocked",
                 d.rows(ask.format(b.pid, a.pid)) == true and
                 d.rows(ask.format(b.pid, f"{c.pid},{a.pid}")) == true and
                 d.rows(ask.format(b.pid, c.pid)) == false and
                 d.rows(ask.format(a.pid, b.pid)) == false)
    a.query("commit")
    checks.check("both go on", first.done() and second.done())

    a.query("begin")
    b.query("begin")
    a.query("lock table t in share mode")
    b.query("lock table t in share mode")
    first = Background(c, "insert into t values (9, 9)")
    checks.check("by both holders", waits(d, c.pid), "")
    found = blockers(d, c.pid)
    checks.check("both are named", found in ("{%s,%s}" % (a.pid, b.pid), "{%s,%s}" % (b.pid, a.pid)),
                 found)
    a.query("commit")
    b.query("commit")
    checks.check("it goes on", first.done())

    # a deferrable one waits for a safe snapshot
    safe = "select pg_safe_snapshot_blocking_pids({})"
    a.query("begin isolation level serializable")
    a.query("update t set v = 7 where id = 2")
    b.query("begin isolation level serializable read only deferrable")
    first = Background(b, "select count(*) from t")
    end = time.monotonic() + 20
    while d.rows(safe.format(b.pid)) != [("{%s}" % a.pid,)] and time.monotonic() < end:
        time.sleep(0.01)
    checks.check("pg_safe_snapshot_blocking_pids", d.rows(safe.format(b.pid)) == [("{%s}" % a.pid,)])
    checks.check("which is not a lock", blockers(d, b.pid) == "{}")
    checks.check("but is blocked", d.rows(ask.format(b.pid, a.pid)) == true)
    a.query("commit")
    checks.check("it reads then", first.done() and first.result == [["4"]])
    b.query("commit")
    checks.check("and waits for nobody", d.rows(safe.format(b.pid)) == [("{}",)])
    for connection in (a, b, c, d):
        connection.close()


def deadlocks(checks, connect, ours):
    a, b, c = connect(), connect(), connect()
    sessions = {"a": a, "b": b, "c": c}
    for connection in sessions.values():
        if not ours:
            connection.query("set deadlock_timeout = '20ms'")

    def ring(name, first, then, words):
        """Each takes its first, then all ask for the next one's; the last closes the ring."""
        for who, sql in first.items():
            sessions[who].query("begin")
            sessions[who].query(sql)
        running, left = {}, list(then.items())
        for who, sql in left:
            running[who] = Background(sessions[who], sql)
            if who != left[-1][0]:
                time.sleep(0.05)
        victims = []
        end = time.monotonic() + 20
        while running and time.monotonic() < end:
            for who in [who for who in running if running[who].done(0.01)]:
                if running[who].error:
                    victims.append(running[who].error)
                sessions[who].query("rollback")
                sessions[who].query("select pg_advisory_unlock_all()")
                del running[who]
        checks.check(f"{name}: an end for all", not running)
        checks.check(f"{name}: one victim", len(victims) == 1, str(len(victims)))
        for victim in victims:
            lines = (victim.detail or "").split("\n")
            checks.check(f"{name}: 40P01", victim.sqlstate == "40P01", victim.sqlstate)
            checks.check(f"{name}: a line for each", len(lines) == len(first), str(lines))
            pids = []
            for line in lines:
                found = re.fullmatch(r"Process (\d+) waits for (.*); blocked by process (\d+)\.", line)
                checks.check(f"{name}: a line", found and re.search(words, found.group(2)), line)
                if found:
                    pids.append((found.group(1), found.group(3)))
            checks.check(f"{name}: it is a ring", pids and all(
                pids[i][1] == pids[(i + 1) % len(pids)][0] for i in range(len(pids))), str(pids))
            expected = {str(sessions[who].pid) for who in first}
            checks.check(f"{name}: of all", {pid for pid, _ in pids} == expected, str(pids))

    update = "update t set v = v + 1 where id = {}"
    row = r"^ShareLock on transaction \d+" + (r" \(t row \(id\)=\([123]\)\)$" if ours else "")
    ring("two rows", {"a": update.format(1), "b": update.format(2)},
         {"a": update.format(2), "b": update.format(1)}, row)
    ring("three rows", {"a": update.format(1), "b": update.format(2), "c": update.format(3)},
         {"a": update.format(2), "b": update.format(3), "c": update.format(1)}, row)
    lock = "select pg_advisory_lock({})"
    ring("advisory", {"a": lock.format(1), "b": lock.format(2)},
         {"a": lock.format(2), "b": lock.format(1)}, r"^ExclusiveLock on advisory lock \[.*[12],1\]$")
    share = "select pg_advisory_xact_lock_shared(3)"
    ring("both upgrade", {"a": share, "b": share},
         {"a": "select pg_advisory_xact_lock(3)", "b": "select pg_advisory_xact_lock(3)"},
         r"^ExclusiveLock on advisory lock")
    ring("a row and a number", {"a": update.format(1), "b": lock.format(4)},
         {"a": "select pg_advisory_xact_lock(4)", "b": update.format(1)},
         r"^(ShareLock on transaction|ExclusiveLock on advisory)")
    ring("tables", {"a": "lock table t in share mode", "b": "lock table t in share mode"},
         {"a": "lock table t in exclusive mode", "b": "lock table t in exclusive mode"},
         r"^ExclusiveLock on relation \d+")
    for connection in sessions.values():
        connection.close()


def activity(checks, connect):
    a, b, c = connect(), connect(), connect()

    def line(pid, what="wait_event_type, wait_event, state, query"):
        rows = c.rows(f"select {what} from pg_stat_activity where pid = {pid}")
        return rows[0] if rows else None

    def becomes(what, pid, expected):
        end = time.monotonic() + 20
        while line(pid)[:len(expected)] != expected and time.monotonic() < end:
            time.sleep(0.01)
        checks.check(what, line(pid)[:len(expected)] == expected, f"{line(pid)}: {expected}")

    becomes("at first", a.pid, ("Client", "ClientRead", "idle", ""))
    checks.check("only of what it did", line(a.pid, "xact_start, query_start, backend_xid") ==
                 (None, None, None), str(line(a.pid, "xact_start, query_start, backend_xid")))
    a.query("select 'one', 2 /* as written */;")
    becomes("the last query stays", a.pid,
            ("Client", "ClientRead", "idle", "select 'one', 2 /* as written */;"))
    a.query("begin")
    a.query("update t set v = 4 where id = 1")
    becomes("in a transaction", a.pid,
            ("Client", "ClientRead", "idle in transaction", "update t set v = 4 where id = 1"))
    checks.check("times", line(a.pid, "xact_start < query_start and query_start <= state_change "
                               "and backend_start < xact_start and state_change <= now()") == ("t",))
    checks.check("its transaction", line(a.pid, "backend_xid is not null") == ("t",))
    checks.check("where from", c.rows(
        f"select host(client_addr::inet), client_port > 0 from pg_stat_activity where pid = {a.pid}"
        if not OURS[0] else
        f"select client_addr, client_port > 0 from pg_stat_activity where pid = {a.pid}")
        == [("127.0.0.1", "t")])
    waiting = Background(b, "update t set v = 5 where id = 1")
    becomes("waits for a row", b.pid,
            ("Lock", "transactionid", "active", "update t set v = 5 where id = 1"))
    a.query("rollback")
    waiting.done()
    becomes("no longer", b.pid, ("Client", "ClientRead", "idle", "update t set v = 5 where id = 1"))
    a.query("select pg_advisory_lock(1)")
    waiting = Background(b, "select pg_advisory_lock(1)")
    becomes("waits for a number", b.pid, ("Lock", "advisory", "active"))
    a.query("select pg_advisory_unlock(1)")
    waiting.done()
    a.query("begin; lock table t")
    waiting = Background(b, "select count(*) from t")
    becomes("waits for a table", b.pid, ("Lock", "relation", "active", "select count(*) from t"))
    refused(a, "select 1/0")
    waiting.done()
    becomes("failed", a.pid, ("Client", "ClientRead", "idle in transaction (aborted)", "select 1/0"))
    a.query("rollback")
    text = "select '" + "\u00e4" * 700 + "'"
    a.query(text)
    shown = line(a.pid, "query")[0]
    checks.check("a long one is cut at a character", text.startswith(shown) and
                 len(shown.encode()) in (1022, 1023), str(len(shown.encode())))
    b.parse("select $1::int + 41", name="p")
    b.bind([b"1"], name="p")
    b.execute_portal()
    b.sync()
    b.until_ready()
    becomes("a prepared one", b.pid, ("Client", "ClientRead", "idle", "select $1::int + 41"))
    for connection in (a, b, c):
        connection.close()


def fairness(checks, connect, share, exclusive, release):
    """A stream of sharers that never leaves the lock alone: who wants all of it gets its turn."""
    stop = threading.Event()
    taken = [0] * 4

    def sharer(i):
        connection = connect()
        while not stop.is_set():
            connection.query("begin")
            connection.query(share)
            taken[i] += 1
            time.sleep(0.004)
            connection.query(release)
        connection.close()

    threads = [threading.Thread(target=sharer, args=(i,)) for i in range(len(taken))]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    connection = connect()
    connection.query("set statement_timeout = '10s'")
    worst = 0.0
    try:
        for _ in range(20):
            start = time.monotonic()
            connection.query("begin")
            connection.query(exclusive)
            worst = max(worst, time.monotonic() - start)
            connection.query(release)
        error = None
    except pgwire.Error as caught:
        error = caught
    stop.set()
    for thread in threads:
        thread.join()
    connection.close()
    checks.check(f"nobody starves: {exclusive}", error is None, str(error and error.message))
    checks.check(f"while sharers came: {share}", sum(taken) > 20, str(taken))
    print(f"{exclusive}: at most {worst * 1000:.0f} ms beside {sum(taken)} sharers")


def run(connect, ours):
    checks = Checks()
    compatible(checks, connect)
    advisory(checks, connect)
    blocked(checks, connect)
    deadlocks(checks, connect, ours)
    OURS[0] = ours
    activity(checks, connect)
    fairness(checks, connect, "select pg_advisory_xact_lock_shared(1)",
             "select pg_advisory_xact_lock(1)", "commit")
    fairness(checks, connect, "lock table t in row exclusive mode", "lock table t in share mode",
             "commit")
    if ours:  # PostgreSQL's row locks let sharers overtake
        fairness(checks, connect, "select v from t where id = 1 for share",
                 "select v from t where id = 1 for update", "commit")
    return checks.done()


def main():
    if "--postgres" in sys.argv:
        with postgres.Postgres() as server:
            return run(lambda: pgwire.connect(port=server.port), False)
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    with Server(build) as server:
        return run(lambda: pgwire.connect(port=server.port), True)


if __name__ == "__main__":
    sys.exit(main())
