#!/usr/bin/env python3
"""Several databases in one server: each its own objects, and all or nothing of them through crashes.

    tests/system/databases.py [--build release] [--kills N]

Names, advisory locks, notifications, temporary tables, idempotency keys, sagas and statistics of
two databases do not meet; a database is dropped whole or not at all, whenever the server dies;
createdb, dropdb and pg_dump -C of PostgreSQL work.
"""
import argparse
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire  # noqa: E402
from server import Checks, Server  # noqa: E402

SAGA = """create saga %s (p int) step one on account (p)
    do 'update account set balance = balance - 1 where id = p'
    undo 'update account set balance = balance + 1 where id = p' expect rows"""


def refused(connection, sql, sqlstate, words=""):
    try:
        connection.query(sql)
    except pgwire.Error as error:
        return error.sqlstate == sqlstate and words in str(error.fields)
    return False


def no_entry(server, sqlstate, **who):
    try:
        pgwire.connect(port=server.port, **who).close()
    except pgwire.Error as error:
        return error.sqlstate == sqlstate
    return False


def names(checks, server, first, second):
    """The same names on both sides mean two things each."""
    for connection, amount in ((first, 1), (second, 2)):
        connection.query(f"""create table account (id int primary key, balance int);
            insert into account values (1, {amount}); create index on account (balance);
            create schema app; create sequence app.s start {amount * 100};
            create type app.mood as enum ('m{amount}'); create view v as select balance + 0 as b from account;
            create function f() returns int language sql as 'select {amount}';
            create table app.t (m app.mood default 'm{amount}', k serial)""")
    for connection, amount in ((first, 1), (second, 2)):
        rows = connection.rows("""select balance, (select b from v), f(), nextval('app.s'),
            'm' || f()::text, current_database() from account""")
        checks.check("names", [int(value) for value in rows[0][:4]] ==
                     [amount, amount, amount, amount * 100], rows)
        seen = connection.rows("select count(*) from pg_class where relname = 'account'")
        checks.check("one of a name in pg_class", int(seen[0][0]) == 1, seen)
        seen = connection.rows("select distinct table_catalog from information_schema.tables")
        checks.check("information_schema", seen == [(rows[0][5],)] or seen == [[rows[0][5]]], seen)
        connection.query("insert into app.t default values")
    checks.check("another database's table", refused(
        second, "select * from postgres.public.account", "0A000", "cross-database"))
    checks.check("its own by its whole name",
                 int(second.rows("select balance from second.public.account")[0][0]) == 2)
    second.query("alter table account add column extra int default 5; drop view v")
    checks.check("DDL on one side", first.rows("select * from account") == [("1", "1")] or
                 len(first.rows("select * from account")[0]) == 2)
    sizes = first.rows("select pg_database_size('postgres'), pg_database_size('second')")[0]
    checks.check("sizes", all(int(size) > 0 for size in sizes), sizes)
    second.query("drop schema app cascade")
    checks.check("the other schema of this name stays",
                 int(first.rows("select count(*) from app.t")[0][0]) == 1)


def shared_and_not(checks, server, first, second):
    """Roles are everybody's; locks, channels, keys and temporary tables are a database's own."""
    first.query("create role everywhere; grant select on account to everywhere")
    second.query("grant select on account to everywhere")
    got = [one.rows("select pg_try_advisory_lock(7)")[0][0] for one in (first, second)]
    checks.check("advisory locks do not meet", got == ["t", "t"], got)
    both = first.rows("""select count(distinct database) from pg_locks where locktype = 'advisory'""")
    checks.check("and are shown with their databases", both[0][0] == "2", both)
    for connection in (first, second):
        connection.query("select pg_advisory_unlock_all(); create temp table mine (a int)")
    second.query("insert into mine values (1)")
    checks.check("temporary tables", first.rows("select count(*) from mine")[0][0] == "0")
    for connection in (first, second):
        connection.query("begin; set local tusk.idempotency_key = 'k'; "
                         "update account set balance = balance + 10; commit")
        connection.query("begin; set local tusk.idempotency_key = 'k'; "
                         "update account set balance = balance + 10; commit")
    got = [one.rows("select balance from account")[0][0] for one in (first, second)]
    checks.check("idempotency keys: once in each", got == ["11", "12"], got)
    got = [one.rows("select count(*) from tusk_idempotency_keys")[0][0] for one in (first, second)]
    checks.check("and shown in each", got == ["1", "1"], got)
    for connection in (first, second):
        connection.query(SAGA % "less")
    row = second.rows("start saga less (1) wait")[0]
    checks.check("a saga runs where it was started", "completed" in row, row)
    got = [one.rows("select balance from account")[0][0] for one in (first, second)]
    checks.check("and changes that database", got == ["11", "11"], got)
    for connection in (first, second):
        connection.query("analyze")
        got = connection.rows("select count(*) from pg_stats where tablename = 'account'")
        checks.check("statistics", int(got[0][0]) >= 2, got)
    seen = first.rows("""select datname, count(*) from pg_stat_activity where usename = 'postgres'
        and application_name <> 'saga' group by 1 order by 1""")
    checks.check("pg_stat_activity", [tuple(row) for row in seen] ==
                 [("postgres", "1"), ("second", "1")], seen)


def ending(checks, server, first, second):
    """Who may enter, who may drop, and when."""
    checks.check("missing", no_entry(server, "3D000", database="nowhere"))
    checks.check("template0", no_entry(server, "55000", database="template0"))
    checks.check("in a transaction", refused(first, "begin; create database x", "25001"))
    first.query("rollback")
    checks.check("again", refused(first, "create database second", "42P04"))
    checks.check("in use", refused(first, "alter database second rename to third", "55006"))
    started = time.monotonic()
    checks.check("dropped under a session", refused(
        first, "drop database second", "55006", "There is 1 other session using the database."))
    checks.check("which was given time", time.monotonic() - started > 4)
    checks.check("as template", refused(first, "create database x template second", "55006"))
    first.query("drop database second with (force)")
    try:
        second.query("select 1")
        ended = False
    except (pgwire.Error, OSError, EOFError):
        ended = True
    checks.check("forced", ended and no_entry(server, "3D000", database="second"))
    checks.check("the first one's are there",
                 first.rows("select balance from account")[0][0] == "11")
    first.query("create database second")
    again = pgwire.connect(port=server.port, database="second")
    checks.check("a new one is empty", again.rows("""select
        (select count(*) from pg_class where relnamespace = 'public'::regnamespace),
        (select count(*) from pg_type where typname = 'mood')""") in ([("0", "0")], [["0", "0"]]))
    checks.check("and has no saga of the old one", refused(again, "start saga less (1)", "42704"))
    again.close()
    first.query("alter database second rename to third; alter database third connection limit 0")
    first.query("create role guest login")
    checks.check("its limit", no_entry(server, "53300", user="guest", database="third"))
    first.query("alter database third allow_connections false")
    checks.check("nobody may enter", no_entry(server, "55000", database="third"))
    first.query("drop database third; drop role guest")


def fill(connection, count):
    for i in range(count):
        connection.query(f"""create table t{i} (id int primary key, v text unique);
            insert into t{i} select g, 'v' || g from generate_series(1, 200) g""")


def kills(checks, build, rounds):
    """The server dies while databases come and go: each is there with all its tables, or not."""
    rng = random.Random(5)
    with Server(build) as server:
        for turn in range(rounds):
            boss = pgwire.connect(port=server.port)
            for name in ("a", "b"):
                boss.query(f"drop database if exists {name}; create database {name}")
                with pgwire.connect(port=server.port, database=name) as one:
                    fill(one, 5)
            if turn % 2:
                boss.query("checkpoint")
            boss.query("create database d")
            busy = pgwire.connect(port=server.port, database="d")
            busy.query("create temp table gone (id serial primary key); create table stays (a int)")
            told = []

            def churn():
                try:
                    boss.query("drop database a")
                    told.append("a")
                    boss.query("create database c")
                    told.append("c")
                    boss.query("drop database b")
                    told.append("b")
                except (pgwire.Error, OSError, EOFError):
                    pass

            thread = threading.Thread(target=churn)
            thread.start()
            time.sleep(rng.random() * 0.05)
            server.kill()
            thread.join()
            fault = server.check()
            checks.check("--check after a kill", fault is None, fault)
            server.start()
            boss = pgwire.connect(port=server.port)
            there = {row[0] for row in boss.rows("select datname from pg_database")}
            checks.check("what was said holds", not ({"a", "b"} & set(told) & there) and
                         ("c" in there or "c" not in told), (told, there))
            for name in {"a", "b"} & there:
                with pgwire.connect(port=server.port, database=name) as one:
                    for i in range(5):
                        got = one.rows(f"select count(*), count(distinct v) from t{i}")[0]
                        checks.check("a database is whole", list(got) == ["200", "200"], got)
            with pgwire.connect(port=server.port, database="d") as one:
                got = one.rows("""select count(*) filter (where relname like 'gone%'),
                    count(*) filter (where relname = 'stays') from pg_class""")[0]
                checks.check("temporary objects went with the server", list(got) == ["0", "1"], got)
            boss.query("drop database if exists c; drop database d")
            boss.close()


def programs(checks, server):
    """PostgreSQL's own tools."""
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"]

    def run(*command, text=None):
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        checks.check(" ".join(command[:1]), done.returncode == 0 and "ERROR" not in done.stderr,
                     done.stderr[-500:])
        return done.stdout

    run("createdb", *where, "shop", "a shop")
    run("psql", "-X", *where, "-v", "ON_ERROR_STOP=1", "-d", "shop", text="""
        create table goods (id serial primary key, name text not null);
        insert into goods (name) values ('pear'), ('plum'); comment on table goods is 'x';
        create schema back; create table back.room as select * from goods;""")
    dump = run("pg_dump", *where, "-C", "shop")
    checks.check("the dump makes its database", "CREATE DATABASE shop" in dump, dump[:2000])
    run("dropdb", *where, "shop")
    checks.check("dropped", no_entry(server, "3D000", database="shop"))
    run("psql", "-X", *where, "-v", "ON_ERROR_STOP=1", "-d", "postgres", text=dump)
    with pgwire.connect(port=server.port, database="shop") as shop:
        got = shop.rows("select count(*), max(name) from back.room natural join goods")[0]
        checks.check("restored", list(got) == ["2", "plum"], got)
        got = shop.rows("""select shobj_description(oid, 'pg_database') from pg_database
            where datname = 'shop'""")[0]
        checks.check("with its comment", list(got) == ["a shop"], got)
    run("dropdb", *where, "--force", "shop")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--kills", type=int, default=4)
    options = parser.parse_args()
    checks = Checks()
    with Server(options.build) as server:
        first = pgwire.connect(port=server.port)
        first.query("create database second")
        second = pgwire.connect(port=server.port, database="second")
        names(checks, server, first, second)
        shared_and_not(checks, server, first, second)
        ending(checks, server, first, second)
        programs(checks, server)
        first.close()
    kills(checks, options.build, options.kills)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
