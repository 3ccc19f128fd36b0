#!/usr/bin/env python3
"""SERIALIZABLE over SQL: what must fail, what must not, and what the failure says.

    tests/system/serializable.py [release|debug]
"""
import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

BEGIN = "begin isolation level serializable"


def outcome(connection, statements):
    """None, or the error that ended the transaction. A statement with data after a line is a COPY."""
    try:
        for statement in statements:
            sql, _, data = statement.partition("\n")
            if data:
                connection.copy_in(sql, data.encode())
            else:
                connection.query(sql)
        return None
    except pgwire.Error as error:
        connection.query("rollback")
        return error


def pair(checks, name, a, b, read_a, read_b, write_a, write_b, fails):
    """Both read, then both write, then both commit: must one of them fail?"""
    a.query(BEGIN)
    b.query(BEGIN)
    a.query(read_a)
    b.query(read_b)
    first = outcome(a, [write_a, "commit"])
    second = outcome(b, [write_b, "commit"])
    errors = [error for error in (first, second) if error]
    checks.check(f"{name}: {'one fails' if fails else 'both commit'}", len(errors) == int(fails),
                 str([vars(error) for error in errors]))
    for error in errors:
        checks.check(f"{name}: 40001", error.sqlstate == "40001", error.sqlstate)
        checks.check(f"{name}: says why", "-rw->" in (error.detail or ""), str(error.detail))


def by_hand(checks, a, b):
    a.query("create table t (id int primary key, k int, owner text, v int, flag bool)")
    a.query("create index t_k on t (k)")
    a.query("insert into t select i, i / 10, 'o' || i % 5, 1, i % 2 = 0 "
            "from generate_series(0, 999) i")
    read = "select sum(v) from t where {}"
    add = "update t set v = v + 1 where id = {}"
    cases = (
        # what both read, and what each writes
        ("rows by key", "id = 1", "id = 2", 2, 1, True),
        ("rows apart", "id = 1", "id = 2", 1, 2, False),
        ("key ranges that overlap", "id between 10 and 20", "id between 15 and 25", 18, 12, True),
        ("key ranges apart", "id between 10 and 19", "id between 20 and 29", 15, 25, False),
        ("index ranges that overlap", "k = 5", "k = 5", 51, 52, True),
        ("index ranges apart", "k = 5", "k = 6", 51, 61, False),
        ("whole scans, the same condition", "owner = 'o1'", "owner = 'o1'", 1, 6, True),
        ("whole scans, conditions apart", "owner = 'o1'", "owner = 'o2'", 1, 2, False),
        ("conditions of numbers", "v + 0 >= 0 and k < 3", "k > 90", 5, 950, False),
        ("a condition that is not simple", "v + 0 >= 0 and length(owner) = 2", "length(owner) = 2",
         5, 6, True),
        ("booleans", "flag", "not flag", 2, 1, False),
        ("in a list", "owner in ('o1', 'o2')", "owner in ('o3', 'o4')", 1, 3, False),
        ("in a list, overlapping", "owner in ('o1', 'o2')", "owner in ('o2', 'o3')", 2, 7, True),
    )
    for name, where_a, where_b, write_a, write_b, fails in cases:
        pair(checks, name, a, b, read.format(where_a), read.format(where_b), add.format(write_a),
             add.format(write_b), fails)
    insert = "insert into t values ({}, {}, 'new', 1, true)"
    pair(checks, "phantoms in a range", a, b, "select count(*) from t where id > 2000",
         "select count(*) from t where id > 2000", insert.format(2001, 1), insert.format(2002, 1), True)
    pair(checks, "inserts beside each other", a, b, "select * from t where id = 3001",
         "select * from t where id = 3002", insert.format(3001, 1), insert.format(3002, 1), False)
    pair(checks, "the same new key", a, b, "select * from t where id = 4000",
         "select * from t where id = 4000", insert.format(4000, 1), insert.format(4000, 1), True)
    pair(checks, "a limited scan", a, b, "select * from t order by id limit 3",
         "select * from t order by id desc limit 3", add.format(5), add.format(6), False)
    # A row that moves into what the other has read, by a column of the condition.
    pair(checks, "a row moves into the condition", a, b, "select count(*) from t where owner = 'o1'",
         "select count(*) from t where owner = 'o2'", "update t set owner = 'o2' where id = 31",
         "update t set owner = 'o1' where id = 32", True)
    pair(checks, "deletes", a, b, "select count(*) from t where k = 70",
         "select count(*) from t where k = 70", "delete from t where id = 701",
         "delete from t where id = 702", True)


def all_kinds(checks, a, b):
    """Whatever reads and whatever writes, by statements of every kind."""
    for sql in ("create table item (id int primary key, k int unique, v int)",
                "insert into item select i, i, 0 from generate_series(1, 100) i",
                "create table other (id int primary key, v int)",
                "insert into other select i, 0 from generate_series(1, 20) i",
                "create table parent (id int primary key)",
                "create table child (id int primary key, parent int references parent on delete cascade, "
                "v int)",
                "create index child_parent on child (parent)"):
        a.query(sql)
    writes = (
        # b writes what a has read; a writes a row of `other` that b has read
        ("COPY", "select count(*) from item where id > 1000", "copy item from stdin\n1001\t1001\t0\n", True),
        ("COPY elsewhere", "select count(*) from item where id > 2000",
         "copy item from stdin\n1500\t1500\t0\n", False),
        ("COPY into an index", "select count(*) from item where k between 3000 and 3010",
         "copy item from stdin\n3001\t3001\t0\n", True),
        ("ON CONFLICT DO UPDATE", "select v from item where id = 5",
         "insert into item values (5, 5, 0) on conflict (id) do update set v = item.v + 1", True),
        ("ON CONFLICT DO UPDATE elsewhere", "select v from item where id = 6",
         "insert into item values (5, 5, 0) on conflict (id) do update set v = item.v + 1", False),
        ("ON CONFLICT by another key", "select v from item where id = 5",
         "insert into item values (4001, 5, 0) on conflict (k) do update set v = item.v + 1", True),
        ("UPDATE FROM", "select v from item where id = 7",
         "update item set v = other.v + 1 from other where other.id = item.id and other.id = 7", True),
        ("DELETE USING", "select v from item where id = 8",
         "delete from item using other where other.id = item.id and other.id = 8", True),
        ("a CTE that writes", "select v from item where id = 9",
         "with gone as (delete from item where id = 9 returning k) select count(*) from gone", True),
        ("ON DELETE CASCADE", "select sum(v) from child where parent = 1", "delete from parent where id = 1",
         True),
        ("ON DELETE CASCADE elsewhere", "select sum(v) from child where parent = 2",
         "delete from parent where id = 1", False),
        ("a new child", "select count(*) from child where parent = 2", "insert into child values (9, 2, 0)",
         True),
        ("a key that moves", "select count(*) from item where id between 5000 and 5010",
         "update item set id = 5005 where id = 12", True),
    )
    renew = ("delete from item where id > 100; delete from child; delete from parent; "
             "insert into parent values (1), (2); insert into child values (1, 1, 0), (2, 2, 0); "
             "insert into item values (8, 8, 0), (9, 9, 0), (12, 12, 0) on conflict do nothing")
    for name, read, write, fails in writes:
        a.query(renew)
        pair(checks, f"written by {name}", a, b, read, "select v from other where id = 11",
             "update other set v = v + 1 where id = 11", write, fails)
    reads = (
        # a reads by this; b writes that
        ("COPY TO", "copy (select v from item where id = 20) to stdout", "update item set v = 1 where id = 20",
         True),
        ("COPY TO elsewhere", "copy (select v from item where id = 20) to stdout",
         "update item set v = 1 where id = 21", False),
        ("ON CONFLICT DO NOTHING", "insert into item values (22, 0, 0) on conflict (id) do nothing",
         "delete from item where id = 22", True),
        ("UPDATE FROM", "update other set v = item.v from item where item.id = 23 and other.id = 13",
         "update item set v = 1 where id = 23", True),
        ("INSERT SELECT", "insert into other select 24, v from item where id = 24",
         "update item set v = 1 where id = 24", True),
        ("an update that finds nothing", "update item set v = 5 where k = 6001",
         "insert into item values (6001, 6001, 0)", True),
        ("EXISTS", "select 1 where not exists (select from item where k = 6002)",
         "insert into item values (6002, 6002, 0)", True),
        ("a foreign key's check", "insert into child values (9, 2, 0)",
         "insert into parent values (3)", False),
        ("a cursor", "declare c cursor for select v from item where id between 30 and 35; fetch 1 from c; close c",
         "update item set v = 1 where id = 30", True),
        ("a cursor that did not get there",
         "declare c cursor for select v from item where id between 30 and 35 order by id; fetch 1 from c; close c",
         "update item set v = 1 where id = 35", False),
        ("FOR SHARE SKIP LOCKED", "select v from item where id > 7000 for share skip locked",
         "insert into item values (7001, 7001, 0)", True),
    )
    for name, read, write, fails in reads:
        a.query(renew + "; delete from other where id > 20")
        pair(checks, f"read by {name}", a, b, read, "select v from other where id = 11",
             "update other set v = v + 1 where id = 11", write, fails)


def read_only(checks, a, b, c):
    """The receipt report."""
    a.query("create table batch (n int); insert into batch values (1)")
    a.query("create table receipt (n int, amount int)")
    a.query(BEGIN)
    a.rows("select n from batch")
    b.query(BEGIN)
    b.query("update batch set n = 2")
    b.query("commit")
    c.query(BEGIN + " read only")
    c.rows("select n from batch")
    c.rows("select * from receipt")
    c.query("commit")
    error = outcome(a, ["insert into receipt values (1, 10)", "commit"])
    checks.check("the report's anomaly fails", error is not None and error.sqlstate == "40001")
    c.query("begin isolation level serializable read only deferrable")
    checks.check("a safe snapshot reads", c.rows("select count(*) from receipt") == [("0",)])
    c.query("commit")
    kept = c.rows("select count(*) > 0 from tusk_serialization_failures where detail like '%-rw->%'")
    checks.check("failures are kept", kept == [("t",)])


def settings(checks, a, server):
    a.query("set default_transaction_isolation = serializable")
    checks.check("a default", a.rows("show transaction_isolation") == [("serializable",)])
    a.query("begin")
    a.query("select 1")
    error = outcome(a, ["set transaction isolation level read committed"])
    checks.check("not after the first query", error is not None and error.sqlstate == "25001")
    a.query("reset default_transaction_isolation")
    with pgwire.connect(port=server.port,
                        options="-c default_transaction_isolation=repeatable\\ read") as other:
        checks.check("a default from the options", other.rows("show transaction_isolation")
                     == [("repeatable read",)])


def settings_of_others(checks, a, server):
    """The level by role and database, the closer counting more; and the other two modes."""
    names = ("transaction_isolation", "transaction_read_only", "transaction_deferrable")

    def modes(user):
        with pgwire.connect(port=server.port, user=user) as other:
            return [other.rows(f"show {name}")[0][0] for name in names]

    a.query("create role iso_role login; create role iso_other login")
    a.query("alter database postgres set default_transaction_isolation = 'repeatable read'")
    checks.check("of the database", modes("iso_role")[0] == "repeatable read", str(modes("iso_role")))
    a.query("alter role iso_role set default_transaction_isolation = 'serializable'")
    checks.check("of the role", modes("iso_role")[0] == "serializable", str(modes("iso_role")))
    checks.check("not of another", modes("iso_other")[0] == "repeatable read", str(modes("iso_other")))
    a.query("alter role iso_role in database postgres set default_transaction_isolation = 'read committed'")
    checks.check("of the role in the database", modes("iso_role")[0] == "read committed", str(modes("iso_role")))
    a.query("alter role iso_role in database postgres reset default_transaction_isolation")
    a.query("alter role iso_role set default_transaction_read_only = on")
    a.query("alter role iso_role set default_transaction_deferrable = on")
    checks.check("the other modes", modes("iso_role") == ["serializable", "on", "on"], str(modes("iso_role")))
    with pgwire.connect(port=server.port, user="iso_role") as other:
        error = outcome(other, ["begin read write", "select 1", "set transaction read only", "rollback"])
        checks.check("read only may follow a query", error is None, str(error))
        error = outcome(other, ["begin", "select 1", "set transaction read write"])
        checks.check("read write may not", error is not None and error.sqlstate == "25001", str(error))
        error = outcome(other, ["begin", "select 1", "set transaction not deferrable"])
        checks.check("nor deferrable", error is not None and error.sqlstate == "25001", str(error))
    a.query("alter database postgres reset default_transaction_isolation")
    a.query("drop role iso_role; drop role iso_other")
    checks.check("as it was", modes("postgres")[0] == "read committed")


def stress(checks, server):
    """Sums by owner that only serializable execution keeps: a withdrawal looks at all accounts of its
    owner by a scan and must not make the sum negative."""
    with pgwire.connect(port=server.port) as admin:
        admin.query("create table account (id int primary key, owner int, balance int)")
        admin.query("insert into account select i, i / 4, 50 from generate_series(0, 39) i")
    counts = {"committed": 0, "failed": 0, "wrong": 0}
    lock = threading.Lock()

    def work(seed):
        chance = random.Random(seed)
        with pgwire.connect(port=server.port) as connection:
            for _ in range(60):
                owner = chance.randrange(10)
                account = owner * 4 + chance.randrange(4)
                try:
                    connection.query(BEGIN)
                    total = int(connection.rows(
                        f"select sum(balance) from account where owner = {owner}")[0][0])
                    amount = chance.randrange(1, 60)
                    amount = -amount if total >= amount else 100
                    connection.query(
                        f"update account set balance = balance + {amount} where id = {account}")
                    connection.query("commit")
                    with lock:
                        counts["committed"] += 1
                        counts["wrong"] += total < 0
                except pgwire.Error as error:
                    connection.query("rollback")
                    with lock:
                        counts["failed"] += 1
                        counts["wrong"] += error.sqlstate not in ("40001", "40P01")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pgwire.connect(port=server.port) as admin:
        negative = admin.rows("select owner from account group by owner having sum(balance) < 0")
    checks.check("no owner in debt", negative == [] and counts["wrong"] == 0,
                 f"{negative} {counts}")
    checks.check("most commit", counts["committed"] > 200, str(counts))
    print(f"accounts: {counts['committed']} committed, {counts['failed']} failed")


def seen(checks, a, b):
    """What a running transaction has read, and where transactions have failed, in views."""
    a.query("create table seen (id int primary key, k text, owner text, v int)")
    a.query("create index seen_k on seen (k, v desc)")
    a.query("create table heap (x int)")
    a.query("insert into seen select i, 'k' || i / 10, 'o' || i % 3, i from generate_series(1, 100) i")
    a.query(BEGIN)
    reads = "select indexrelname, range, filter from tusk_serializable_reads where relname = '{}' " \
        f"and pid = {a.pid} and state = 'active'"

    def fresh(condition, index, words, filter_words=None, table="seen"):
        before = set(b.rows(reads.format(table)))
        a.query(f"select * from {table} where {condition}")
        new = set(b.rows(reads.format(table))) - before
        expected = (index, words, filter_words)
        checks.check(f"read range of {condition}", expected in new, f"{new} without {expected}")

    fresh("id = 5", None, "(5)")
    fresh("id between 10 and 20", None, "[(10), (21))")
    fresh("id > 95", None, "[(96), (null))")
    fresh("id < 3", None, "(, (3))")
    fresh("k = 'k3'", "seen_k", "[(k3), (k3)]")
    fresh("k = 'k4' and v = 45", "seen_k", "[(k4, 45), (k4, 44))")
    fresh("owner = 'o1' and v in (1, 2)", None, "all", "owner = 'o1' AND v IN ('1', '2')")
    fresh("v is null and owner <> 'x'", None, "all", "v IS NULL AND owner <> 'x'")
    fresh("true", None, "all", None, "heap")
    locks = f"select relation::regclass::text from pg_locks where mode = 'SIReadLock' and pid = {a.pid}"
    checks.check("SIReadLock in pg_locks", {row[0] for row in b.rows(locks)} ==
                 {"seen", "seen_k", "heap"}, str(b.rows(locks)))
    a.query("commit")
    checks.check("gone with its transaction", not b.rows("select * from tusk_serializable_reads"),
                 str(b.rows("select * from tusk_serializable_reads")))

    counts = "select structures, concurrent_updates, deadlocks from tusk_serialization_counts " \
        "where relname = 'seen' and indexrelname is null"
    checks.check("no failures here yet", not b.rows(counts))
    a.query("begin isolation level repeatable read")
    a.query("select count(*) from seen")
    b.query("update seen set v = 0 where id = 5")
    error = outcome(a, ["update seen set v = 1 where id = 5"])
    checks.check("concurrent update in words", error and error.sqlstate == "40001" and
                 "seen row (id)=(5): transaction" in (error.detail or ""), str(error and error.detail))
    checks.check("is counted", b.rows(counts) == [("0", "1", "0")], str(b.rows(counts)))
    pair(checks, "to be counted", a, b, "select v from seen where id = 1", "select v from seen where id = 2",
         "update seen set v = 1 where id = 2", "update seen set v = 1 where id = 1", True)
    checks.check("a structure is counted", b.rows(counts) == [("1", "1", "0")], str(b.rows(counts)))
    last = b.rows("select pid, detail from tusk_serialization_failures limit 2")
    checks.check("both are kept", len(last) == 2 and "-rw->" in last[0][1] and "(id)=(5)" in last[1][1],
                 str(last))


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    with Server(build) as server:
        a, b, c = (pgwire.connect(port=server.port) for _ in range(3))
        by_hand(checks, a, b)
        all_kinds(checks, a, b)
        read_only(checks, a, b, c)
        settings(checks, a, server)
        settings_of_others(checks, a, server)
        seen(checks, a, b)
        for connection in (a, b, c):
            connection.close()
        stress(checks, server)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
