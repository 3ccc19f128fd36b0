#!/usr/bin/env python3
"""Sagas over three nodes: what is a sound definition, keys, blocks, ALTER SAGA INSTANCE, records that
move with their bucket, nodes and routers that go away; and the examples of docs/sagas.md for a cluster.

    tests/cluster/sagas.py [BUILD]
"""
import os
import re
import sys
import threading
import time

from cluster import Cluster, connect, rows, sqlstate, wait_for
import pgwire
from server import ROOT, Checks

TABLES = [
    "create table account (id int primary key, balance numeric not null check (balance >= 0)) "
    "shard by hash (id) buckets 12",
    "create table line (account int, id text, amount numeric, primary key (account, id)) "
    "shard by hash (account) buckets 12 colocate with account",
    "create table other (id int primary key, n int) shard by hash (id) buckets 4",
    "create table rate (name text primary key, value numeric) replicated",
    "create table home (id int primary key, n int)",
]

TRANSFER = """create saga transfer (p_id text, p_from int, p_to int, p_amount numeric)
  step take on account (id => p_from)
    do $$ update account set balance = balance - p_amount where id = p_from;
          insert into line values (p_from, p_id, -p_amount) $$ undo auto expect rows
  step give on account (id => p_to)
    do $$ update account set balance = balance + p_amount where id = p_to $$
    undo auto expect rows retry 3 backoff '10ms' to '50ms'
  step book on line (account => p_to)
    do $$ insert into line values (p_to, p_id || '.to', p_amount) $$ retriable retry 2 backoff '10ms' to '20ms'"""

WRONG = [
    ("another parameter", "account (id => p_a)", "update account set balance = 1 where id = p_b"),
    ("no condition", "account (id => p_a)", "update account set balance = 1"),
    ("another group", "account (id => p_a)", "update other set n = 1 where id = p_a"),
    ("a table of one node", "account (id => p_a)", "update home set n = 1 where id = p_a"),
    ("a replicated table", "rate (name => p_c)", "update rate set value = 1 where name = p_c"),
    ("changing a replicated table", "account (id => p_a)", "update rate set value = 1"),
    ("a key that is no parameter", "account (id => 1)", "update account set balance = 1 where id = 1"),
    ("reading everywhere", "account (id => p_a)",
     "insert into line select p_a, p_c, count(*) from account"),
]


def definitions(checks, cluster):
    with connect(cluster.router) as a:
        for text in TABLES:
            a.query(text)
        for what, on, body in WRONG:
            state = sqlstate(lambda o=on, b=body: a.query(
                f"create saga wrong (p_a int, p_b int, p_c text) step s on {o} do $$ {b} $$ retriable"))
            checks.check(f"refused: {what}", state == "42P17", state)
        a.query("create saga reads (p_a int) step s on account (id => p_a) do $$ update account set "
                "balance = balance * (select value from rate where name = 'x') where id = p_a $$ retriable")
        a.query("drop saga reads")
        a.query(TRANSFER)
        state = sqlstate(lambda: a.query(TRANSFER))
        checks.check("a saga of that name is there", state == "42710", state)
        for i in range(1, 13):
            a.query(f"insert into account values ({i}, 100)")


def transfers(checks, cluster):
    with connect(cluster.router) as a:
        first = a.query("start saga transfer ('a', 1, 2, 30) with key 'a' wait")[-1].rows
        checks.check("a transfer", first[0][1] == "completed", first)
        again = a.execute("start saga transfer ('a', 1, 2, 30) with key 'a' wait").rows
        checks.check("again by its key", again == first, (first, again))
        state = sqlstate(lambda: a.query("start saga transfer ('a', 1, 2, 31) with key 'a' wait"))
        checks.check("other values under the key", state == "TS002", state)
        got = a.query("start saga transfer ('b', 3, 4, 300) wait")[-1].rows[0]
        checks.check("not enough money", got[1] == "compensated" and got[2].startswith("23514"), got)
        got = a.query("start saga transfer ('c', 3, 99, 30) wait")[-1].rows[0]
        checks.check("nobody's account", got[1:] == ("compensated", 'TS005: step "give" found no rows'), got)
        steps = a.query(f"select step, state from tusk_saga_steps where saga = {got[0]} order by number")
        checks.check("its steps", steps[-1].rows == [("take", "undone"), ("give", "never done"),
                                                     ("book", "pending")], steps[-1].rows)
        got = a.query("select sum(balance), (select balance from account where id = 1) from account")
        checks.check("money stays", got[-1].rows == [("1200", "70")], got[-1].rows)
        got = a.query("select count(*) from line where id = 'c'")[-1].rows
        checks.check("and no line", got == [("0",)], got)
        homes = [int(rows(s, "select count(*) from tusk_sagas")[0][0]) for s in cluster.shards]
        checks.check("each is at one home", sum(homes) == 3, homes)


def blocks(checks, cluster):
    with connect(cluster.router) as a:
        a.query("begin")
        a.query("start saga transfer ('d', 5, 6, 1) with key 'd'")
        a.query("rollback")
        a.query("begin")
        a.query("update account set balance = balance where id = 7")
        number = a.query("start saga transfer ('e', 5, 6, 1)")[-1].rows[0][0]
        a.query("commit")
        checks.check("it begins with the block's commit", wait_for(lambda: a.query(
            f"select state from tusk_sagas where saga = {number}")[-1].rows == [("completed",)]))
        got = a.query("select count(*) from tusk_sagas where key = 'd'")[-1].rows
        checks.check("or not at all", got == [("0",)], got)
        state = sqlstate(lambda: a.query("begin; start saga transfer ('x', 1, 2, 3) wait"))
        checks.check("WAIT is not for blocks", state is not None, state)
        a.query("rollback")


def notes(checks, cluster):
    """START SAGA WITH KEY beside a block's own writes, wherever the key's home is."""
    def state_of(key):
        return rows(cluster.router, f"select state from tusk_sagas where key = '{key}'")

    def begin(a, key, row=7, text=None, end="commit"):
        a.query("begin")
        a.query(f"insert into line values ({row}, 'note {key}', 0)")
        got = a.query(text or f"start saga transfer ('n{key}', 1, 2, 0) with key '{key}'")[-1].rows[0]
        a.query(end)
        return got
    with connect(cluster.router) as a:
        got = {f"n{i}": begin(a, f"n{i}") for i in range(12)}
        starting = [k for k, row in got.items() if row[1] == "starting"]
        checks.check("some begin elsewhere, some here", 0 < len(starting) < 12, got)
        checks.check("all go on at their homes", wait_for(lambda: rows(
            cluster.router, "select count(*) from tusk_sagas where key like 'n%' and state = 'completed'") == [("12",)]),
            rows(cluster.router, "select saga, key, state, error from tusk_sagas where key like 'n%'"))
        numbers = dict(rows(cluster.router, "select key, saga from tusk_sagas where key like 'n%'"))
        checks.check("under the numbers that were told", numbers == {k: r[0] for k, r in got.items()},
                     (numbers, got))
        for key in ("r1", "r2", "r3", "r4"):
            begin(a, key, end="rollback")
        again = [begin(a, starting[0], row=row) for row in (8, 9)]
        time.sleep(0.5)
        checks.check("what was rolled back never begins", all(state_of(f"r{i}") == [] for i in range(1, 5)))
        checks.check("a key is one saga", wait_for(lambda: rows(
            cluster.router, f"select count(*) from line where id = 'n{starting[0]}' and account = 1") == [("1",)]))
        seen = rows(cluster.router, "select state, cause from tusk_sagas where saga in "
                                    f"({again[0][0]}, {again[1][0]}) and saga <> {numbers[starting[0]]}")
        checks.check("and those that come late say whose it is", len(seen) > 0 and all(
            s == ("compensated", f'saga {numbers[starting[0]]} has key "{starting[0]}" already') for s in seen), seen)
        # The same key with other parameters: told to nobody but the list.
        row = [r for r in range(3, 11) if rows(cluster.shards[0], f"select 1 from account where id = {r}")]
        homes = {k: [i for i, s in enumerate(cluster.shards) if rows(s, f"select 1 from tusk_sagas where key = '{k}'")]
                 for k in starting}
        key = [k for k in starting if homes[k] != [0]][0]
        late = begin(a, key, row=row[0], text=f"start saga transfer ('other', 1, 2, 1) with key '{key}'")
        checks.check("other parameters under the key", wait_for(lambda: rows(
            cluster.router, f"select state, substr(cause, 1, 5) from tusk_sagas where saga = {late[0]}") ==
            [("compensated", "TS002")]), rows(cluster.router, f"select * from tusk_sagas where saga = {late[0]}"))
        got = a.query(f"start saga transfer ('n{key}', 1, 2, 0) with key '{key}' wait")[-1].rows
        checks.check("a START by itself finds it", got == [(numbers[key], "completed", None)], got)
        # No router, and the node that has the note dies: it begins all the same, once.
        a.query("begin")
        a.query(f"insert into line values ({row[0]}, 'note k', 0)")
        keys = [f"k{i}" for i in range(6)]
        for key in keys:
            a.query(f"start saga transfer ('{key}', 1, 2, 0) with key '{key}'")
        a.query("commit")
        cluster.router.kill()
        cluster.shards[0].kill()
    cluster.shards[0].start()
    cluster.router.start()
    checks.check("notes outlive node and router", wait_for(lambda: rows(
        cluster.router, "select key from tusk_sagas where key like 'k_' and state = 'completed' order by 1") ==
        [(k,) for k in keys]), rows(cluster.router, "select * from tusk_sagas where key like 'k_'"))
    got = rows(cluster.router, "select id, count(*) from line where id like 'k_' and account = 1 group by 1 order by 1")
    checks.check("and begin once", got == [(k, "1") for k in keys], got)

    def left():
        return sum(len(rows(s, "select slot from tusk_cluster.sagas where encode(tusk_id, 'hex') like 'fa%'"))
                   for s in cluster.shards)
    checks.check("no note is left", wait_for(lambda: left() == 0), left())


def held(checks, cluster):
    """Who has a saga's row in a block of his own keeps no others from going on; and rolls back."""
    with connect(cluster.router) as a, connect(cluster.router) as c:
        a.query("insert into other values (1, 0)")
        a.query("create saga again (p_id int) step s on other (id => p_id) do $$ update other set n = 1 / n "
                "where id = p_id $$ retriable retry 10000 backoff '5ms' to '10ms'")
        number = a.query("start saga again (1) with key 'l'")[-1].rows[0][0]
        wait_for(lambda: int(rows(cluster.router, f"select attempts from tusk_sagas where saga = {number}")[0][0]) > 2)
        c.query("begin")
        c.query(f"alter saga instance {number} pause")
        began = time.monotonic()
        got = [a.query(f"start saga transfer ('l{i}', 3, 4, 0) with key 'l{i}' wait")[-1].rows[0][1]
               for i in range(20)]
        took = time.monotonic() - began
        checks.check("others go on", got == ["completed"] * 20 and took < 15, (got, took))
        c.query("rollback")
        a.query("update other set n = 1 where id = 1")
        checks.check("and so does it", wait_for(lambda: rows(
            cluster.router, f"select state from tusk_sagas where saga = {number}") == [("completed",)]))


def there_and_back(checks, cluster):
    """A slot leaves and is back before its home has looked: what began meanwhile goes on."""
    with connect(cluster.router) as a, connect(cluster.router) as b:
        b.query("begin")
        b.query("update account set balance = balance where id = 2")
        keys = [f"tb{i}" for i in range(6)]
        for key in keys:
            a.query("begin")
            slot = int(a.query(f"start saga transfer ('{key}', 1, 2, 0) with key '{key}'")[-1].rows[0][0]) % 64
            a.query("rollback")
            home = [i + 1 for i, s in enumerate(cluster.shards) if rows(
                s, f"select 1 from tusk_buckets where bucketgroup = 'tusk_cluster.sagas' and bucket = {slot} "
                   "and state = 'owned'")][0]
            a.query(f"alter table tusk_cluster.sagas move bucket {slot} to n{home % 3 + 1}")
            a.query(f"start saga transfer ('{key}', 1, 2, 0) with key '{key}'")
            a.query(f"alter table tusk_cluster.sagas move bucket {slot} to n{home}")
        b.query("commit")
        checks.check("a slot that was away is looked through again", wait_for(lambda: rows(
            cluster.router, "select key from tusk_sagas where key like 'tb%' and state = 'completed' order by 1") ==
            [(k,) for k in keys], 20), rows(cluster.router, "select * from tusk_sagas where key like 'tb%'"))


def altered(checks, cluster):
    with connect(cluster.router) as a, connect(cluster.router) as operator:
        operator.query("listen tusk_saga_stuck")
        a.query("insert into line values (2, 'f.to', 0)")   # in the way of the last step
        got = a.query("start saga transfer ('f', 1, 2, 5) with key 'f' wait")[-1].rows[0]
        checks.check("stuck behind the pivot", got[1] == "stuck", got)
        number = got[0]
        checks.check("who listens at a router hears of it", wait_for(lambda: operator.query("select 1") and any(
            body[4:].startswith(b"tusk_saga_stuck\0" + str(number).encode()) for body in operator.notifications)),
            operator.notifications)
        state = sqlstate(lambda: a.query(f"alter saga instance {number} compensate"))
        checks.check("it cannot go back", state == "55000", state)
        a.query("delete from line where account = 2 and id = 'f.to'")
        a.query(f"alter saga instance {number} retry")
        checks.check("and goes on", wait_for(lambda: a.query(
            f"select state from tusk_sagas where saga = {number}")[-1].rows == [("completed",)]))
        a.query("insert into line values (2, 'g.to', 0)")
        number = a.query("start saga transfer ('g', 1, 2, 5) wait")[-1].rows[0][0]
        a.query(f"alter saga instance {number} skip step book")
        checks.check("a step is skipped", wait_for(lambda: a.query(
            f"select state from tusk_sagas where saga = {number}")[-1].rows == [("completed",)]))
        got = a.query(f"select state from tusk_saga_steps where saga = {number} and step = 'book'")[-1].rows
        checks.check("and its record says so", got == [("skipped",)], got)
        state = sqlstate(lambda: a.query("alter saga instance 640000000000000000 retry"))
        checks.check("nobody's number", state == "42704", state)


def record_of(cluster, number):
    """Which nodes have records of steps of this saga."""
    wanted = f"{int(number):016x}"
    found = []
    for i, shard in enumerate(cluster.shards):
        for (table,) in rows(shard, "select relname from pg_class where relname like 'steps!_%' escape '!' "
                                    "and relkind = 'r'"):
            got = rows(shard, f"select count(*) from tusk_cluster.{table} "
                              f"where encode(tusk_id, 'hex') like '%{wanted}%'")
            found += [i + 1] * int(got[0][0])
    return sorted(found)


def moved(checks, cluster):
    """The records of a step go where its bucket goes; a step that was done is not done again there."""
    with connect(cluster.router) as a:
        number = a.query("start saga transfer ('h', 8, 8, 1) with key 'h' wait")[-1].rows[0][0]
        for i, shard in enumerate(cluster.shards):
            owned = rows(shard, "select bucket from tusk_buckets where bucketgroup = 'public.account' and "
                                "state = 'owned'")
            if rows(shard, "select id from account where id = 8"):
                source, owned_here = i + 1, [int(b) for (b,) in owned]
        target = source % 3 + 1
        for bucket in owned_here:
            a.query(f"alter table account move bucket {bucket} to n{target}")
        checks.check("records are where the rows are", record_of(cluster, number) == [target] * 3,
                     (record_of(cluster, number), target))
        got = a.query("start saga transfer ('h', 8, 8, 1) with key 'h' wait")[-1].rows
        checks.check("and nothing happens twice", got == [(number, "completed", None)], got)
        for bucket in range(64):
            if bucket % 3 == 0:
                a.query(f"alter table tusk_cluster.sagas move bucket {bucket} to n{target}")
        got = a.query("start saga transfer ('h', 8, 8, 1) with key 'h' wait")[-1].rows
        checks.check("a saga is found by its key at its new home", got == [(number, "completed", None)], got)
        got = [a.query(f"start saga transfer ('m{i}', 1, 2, 1) with key 'm{i}' wait")[-1].rows[0][1]
               for i in range(20)]
        checks.check("and others begin there", got == ["completed"] * 20, got)


def undone_elsewhere(checks, cluster):
    """A step is done, its bucket moves, and then it must be undone."""
    with connect(cluster.router) as a, connect(cluster.router) as b:
        def nodes_with(row):
            return [i + 1 for i, s in enumerate(cluster.shards) if rows(s, f"select id from account where id = {row}")]
        target = nodes_with(11)[0]
        others = [k for k in range(1, 11) if nodes_with(k) != [target]]
        source = nodes_with(others[0])[0]
        before = rows(cluster.router, f"select balance from account where id = {others[0]}")
        b.query("begin")
        b.query("delete from account where id = 11")   # the second step waits for this
        number = a.query(f"start saga transfer ('u', {others[0]}, 11, 7) with key 'u'")[-1].rows[0][0]
        wait_for(lambda: rows(cluster.router, "select count(*) from line where id = 'u'") == [("1",)])
        owned = rows(cluster.shards[source - 1], "select bucket from tusk_buckets where bucketgroup = "
                                                 "'public.account' and state = 'owned'")
        for (bucket,) in owned:
            a.query(f"alter table account move bucket {bucket} to n{6 - source - target}")
        b.query("commit")
        checks.check("a step is undone where its bucket has gone", wait_for(lambda: rows(
            cluster.router, f"select state from tusk_sagas where saga = {number}") == [("compensated",)]),
            rows(cluster.router, f"select * from tusk_sagas where saga = {number}"))
        got = rows(cluster.router, f"select balance from account where id = {others[0]}")
        checks.check("with all it had done", got == before and rows(
            cluster.router, "select count(*) from line where id = 'u'") == [("0",)], (got, before))
        a.query("insert into account values (11, 100)")


def waited_for_while_it_moves(checks, cluster):
    """WAIT goes on where the saga's home has gone."""
    with connect(cluster.router) as a, connect(cluster.router) as b:
        got = {}

        def start(key):
            with connect(cluster.router) as c:
                text = f"start saga transfer ('{key}', 1, 2, 1) with key '{key}' wait"
                try:
                    got[key] = (c.execute(text) if key == "w2" else c.query(text)[-1]).rows[0]
                except pgwire.Error as error:
                    got[key] = error
        b.query("begin")
        b.query("update account set balance = balance where id = 2")
        threads = [threading.Thread(target=start, args=(key,)) for key in ("w1", "w2")]
        for thread in threads:
            thread.start()
        wait_for(lambda: a.query("select count(*) from line where id like 'w_'")[-1].rows == [("2",)])
        numbers = dict(a.query("select key, saga from tusk_sagas where key in ('w1', 'w2')")[-1].rows)
        for number in sorted({int(n) % 64 for n in numbers.values()}):
            for shard, server in enumerate(cluster.shards):
                if rows(server, "select 1 from tusk_buckets where bucketgroup = 'tusk_cluster.sagas' and "
                                f"bucket = {number} and state = 'owned'"):
                    home = shard + 1
            for target in (home % 3 + 1, (home + 1) % 3 + 1):
                a.query(f"alter table tusk_cluster.sagas move bucket {number} to n{target}")
        time.sleep(1.2)
        b.query("commit")
        for thread in threads:
            thread.join(30)
        for key in ("w1", "w2"):
            checks.check("WAIT goes on at the new home", got.get(key) == (numbers[key], "completed", None),
                         (got.get(key), numbers))


def names(checks, cluster):
    """What a step's statements name is what CREATE SAGA found; types that users have made."""
    with connect(cluster.router) as a:
        for text in ("create schema east", "create schema bob", "create role bob login",
                     "grant usage on schema east, bob to bob",
                     "create table east.box (id int primary key, mood text, n int) shard by hash (id) "
                     "buckets 4", "grant select, insert, update, delete on east.box to bob",
                     "create table bob.box (id int primary key, mood text, n int) shard by hash (id) "
                     "buckets 7", "alter table bob.box owner to bob",
                     "create type east.mood as enum ('glad', 'sad')",
                     "create domain east.count as int check (value > 0)",
                     "alter role bob set timezone = 'Asia/Tokyo'",
                     "set search_path = east, public"):
            a.query(text)
        a.query("create saga fill (p_id int, p_mood mood, p_moods mood[], p_n count) step put on box (id => p_id) do $$ "
                "insert into box values (p_id, case p_mood when 'glad' then p_mood || current_setting("
                "'timezone') || current_schema || current_user else p_mood::text || p_moods[1] end, "
                "p_n) $$ undo auto")
        state = sqlstate(lambda: a.query("create saga wrong (p_id numeric) step s on box (id => p_id) do $$ "
                                         "delete from box where id = p_id $$ retriable"))
        checks.check("a key of another type than the column", state == "42P17", state)
        for i in range(1, 5):
            got = a.query(f"start saga fill ({i}, 'sad', '{{glad,NULL}}', {i}) wait")[-1].rows[0]
            checks.check("an enum", got[1] == "completed", got)
    with pgwire.connect(port=cluster.router.port, user="bob", database="postgres") as a:
        a.query("set timezone = 'UTC'")
        got = a.query("start saga fill (5, 'glad', null, null) with key 'names' wait")[-1].rows[0]
        checks.check("by the path of the definition", got[1] == "completed", got)
        state = sqlstate(lambda: a.query("start saga fill (5, 'grim', null, 1) wait"))
        checks.check("no such label", state == "22P02", state)
        state = sqlstate(lambda: a.query("start saga fill (5, 'sad', null, 0) wait"))
        checks.check("not of the domain", state == "23514", state)
    got = rows(cluster.router, "select id, mood, n from east.box order by id")
    checks.check("the statements' tables", got == [(str(i), "sadglad", str(i)) for i in range(1, 5)] +
                 [("5", "gladAsia/Tokyoeastbob", None)], got)
    got = rows(cluster.router, "select parameters from tusk_sagas where key = 'names'")
    checks.check("their values are shown", got == [("p_id => 5, p_mood => glad, p_moods => NULL, p_n => NULL",)], got)


def databases(checks, cluster):
    """A cluster has one."""
    with connect(cluster.router) as a:
        for text in ("create database other", "drop database postgres", "alter database postgres rename to x",
                     "alter database postgres set timezone = 'UTC'"):
            state = sqlstate(lambda t=text: a.query(t))
            checks.check(f"refused: {text}", state == "0A000", state)
    with pgwire.connect(port=cluster.router.port, user="postgres", database="template1") as a:
        state = sqlstate(lambda: a.query("create table t (id int primary key)"))
        checks.check("nothing in another database", state == "0A000", state)
        state = sqlstate(lambda: a.execute("select 1"))
        checks.check("nor by the extended protocol", state == "0A000", state)
    with connect(cluster.shards[0]) as a:
        a.query("create database own")
    with pgwire.connect(port=cluster.shards[0].port, user="postgres", database="own") as a:
        a.query("create table t (id int primary key)")
        state = sqlstate(lambda: a.query("create saga s (p int) step s on t (p) do $$ delete from t $$ retriable"))
        checks.check("a node's own database has no sagas", state == "0A000", state)
        state = sqlstate(lambda: a.query("drop database postgres"))
        checks.check("a node keeps the cluster's", state == "55006", state)
    with connect(cluster.shards[0]) as a:
        a.query("drop database own")


def absent(checks, cluster):
    """A node away, then the router; the saga goes on by itself."""
    with connect(cluster.router) as a:
        where = [i for i, s in enumerate(cluster.shards) if rows(s, "select id from account where id = 10")][0]
        target = [k for k in range(1, 13) if not rows(cluster.shards[where],
                                                      f"select id from account where id = {k}")][0]
        victim = cluster.shards[where]
        got = {}

        def begin():
            text = f"start saga transfer ('o', {target}, 10, 1) with key 'o' wait"
            while "answer" not in got:
                try:
                    got["answer"] = rows(cluster.router, text)[0]
                except (pgwire.Error, pgwire.ConnectionLost):
                    time.sleep(0.1)
        victim.kill()
        threads = [threading.Thread(target=begin) for _ in range(1)]
        for thread in threads:
            thread.start()
        time.sleep(0.6)
        victim.start()
        for thread in threads:
            thread.join(40)
        checks.check("a node that comes back is waited for", got.get("answer", [0, ""])[1] == "completed",
                     got)
        number = a.query(f"start saga transfer ('p', {target}, 10, 1) with key 'p'")[-1].rows[0][0]
    cluster.router.kill()
    cluster.router.start()
    checks.check("a saga outlives its router", wait_for(lambda: rows(
        cluster.router, f"select state from tusk_sagas where saga = {number}") == [("completed",)]))
    got = rows(cluster.router, "select sum(balance) from account")
    checks.check("money is still there", got == [("1200",)], got)


class Half:
    """A transfer whose second step waits for a row that somebody else holds."""

    def __init__(self, cluster, key, source, target, amount=7):
        self.router, self.key = cluster.router, key
        self.holder, self.conn = connect(cluster.router), connect(cluster.router)
        self.holder.query("begin")
        self.holder.query(f"update account set balance = balance where id = {target}")
        self.number = self.conn.query(
            f"start saga transfer ('{key}', {source}, {target}, {amount}) with key '{key}'")[-1].rows[0][0]
        wait_for(lambda: rows(self.router, f"select count(*) from line where id = '{key}'") == [("1",)])

    def finish(self):
        self.holder.query("commit")
        self.holder.close()
        wait_for(lambda: rows(self.router, f"select state from tusk_sagas where saga = {self.number}") in
                 ([("completed",)], [("compensated",)]))
        self.conn.close()


def places(cluster):
    """Of accounts 1 to 12: which node, from 0."""
    return {int(k): i for i, s in enumerate(cluster.shards) for (k,) in rows(s, "select id from account "
                                                                              "where id < 13")}


def until_settled(a, sql):
    """The answer, as soon as it is known what unfinished sagas have replaced; and how often it was not."""
    for refused in range(200):
        try:
            return a.query(sql)[-1].rows, refused
        except pgwire.Error as error:
            if error.sqlstate != "TS011":
                raise
            time.sleep(0.05)
    return None, refused


def pairs_of(cluster):
    """Two accounts on one node, one on another: their keys."""
    at = places(cluster)
    for a in at:
        for b in at:
            for c in at:
                if a != b and at[a] == at[b] != at[c]:
                    return a, b, c
    return None


def settled(checks, cluster):
    one, two, far = pairs_of(cluster)
    everything = "select sum(balance), count(*) from account"
    with connect(cluster.router) as a, connect(cluster.router) as plain, cluster.new_router() as other, \
            connect(other) as b:
        for conn in (a, b):
            conn.query("set tusk.saga_reads = settled")
        before = dict(a.query("select id, balance from account")[-1].rows)
        whole = a.query(everything)[-1].rows
        half = Half(cluster, "half1", one, far)
        got = plain.query(f"select balance from account where id = {one}")[-1].rows
        checks.check("half done: it is there", got != [(before[str(one)],)], got)
        for what, conn in (("this router", a), ("another", b)):
            got = conn.query(everything)[-1].rows
            checks.check(f"settled: not in a scatter by {what}", got == whole, (got, whole))
            got = conn.query(f"select balance from account where id = {one}")[-1].rows
            checks.check(f"settled: nor on one shard by {what}", got == [(before[str(one)],)], got)
            got = conn.execute("select balance from account where id = $1", [one]).rows
            checks.check(f"settled: nor with parameters by {what}", got == [(before[str(one)],)], got)
            conn.query("prepare p (int) as select balance from account where id = $1")
            got = conn.query(f"execute p ({one})")[-1].rows
            checks.check(f"settled: nor by EXECUTE by {what}", got == [(before[str(one)],)], got)
            got = conn.execute("select sum(balance) from account where id > $1", [0]).rows
            checks.check(f"settled: nor in a scatter with parameters by {what}", got == [whole[0][:1]], got)
        got = a.query(f"select count(*) from line where account = {one} and id = 'half1'")[-1].rows
        checks.check("settled: rows it has made are not there", got == [("0",)], got)
        a.query("begin")
        a.query(f"update account set balance = balance + 1 where id = {two}")
        got = a.query(f"select id, balance from account where id in ({one}, {two}) order by id")[-1].rows
        wanted = sorted([(str(one), before[str(one)]), (str(two), str(int(before[str(two)]) + 1))],
                        key=lambda row: int(row[0]))
        checks.check("settled: a block sees what it has done itself", got == wanted, (got, wanted))
        a.query(f"declare c cursor for select balance from account where id = {one}")
        got = a.query("fetch all from c")[-1].rows
        checks.check("settled: a cursor on one shard", got == [(before[str(one)],)], got)
        a.query("rollback")
        a.query("begin")
        a.query("declare c cursor for select sum(balance) from account")
        got = a.query("fetch all from c")[-1].rows
        checks.check("settled: a cursor on all", got == [whole[0][:1]], got)
        a.query("rollback")
        a.query("begin isolation level repeatable read")
        fixed = a.query(f"select balance from account where id = {one}")[-1].rows
        b.query("begin isolation level repeatable read")
        b.query(f"update account set balance = balance where id = {two}")
        state = sqlstate(lambda: plain.query("begin isolation level serializable; "
                                             "set local tusk.saga_reads = settled; "
                                             f"select 1 from account where id = {one}"))
        plain.query("rollback")
        checks.check("settled: not at SERIALIZABLE", state == "0A000", state)
        half.finish()
        for what, conn in (("a query first", a), ("a change first", b)):
            got = conn.query(f"select balance from account where id = {one}")[-1].rows
            checks.check(f"settled: one snapshot at REPEATABLE READ, {what}", got == fixed, (got, fixed))
            conn.query("rollback")
            got = conn.query(f"select balance from account where id = {one}")[-1].rows
            checks.check(f"settled: when it has ended, {what}",
                         got == [(str(int(before[str(one)]) - 7),)], got)
        got = a.query(everything)[-1].rows
        checks.check("settled: the sum is the same", got == whole, (got, whole))
        state = sqlstate(lambda: rows(cluster.shards[0], "set tusk.saga_reads = settled; select * from account"))
        checks.check("settled: a node by itself does not know", state == "0A000", state)
        wrong = []
        for i in range(30):
            left = int(plain.query(f"select balance from account where id = {one}")[-1].rows[0][0])
            plain.query(f"start saga transfer ('seen{i}', {one}, {far}, 1) wait")
            for conn in (a, b):
                got = conn.query(f"select balance from account where id = {one}")[-1].rows
                wrong += [(i, got, left)] if got != [(str(left - 1),)] else []
        checks.check("settled: what was answered is seen through any router", not wrong, wrong[:3])


def churn(conn, but):
    """Changes that end and are purged, on all nodes."""
    end = time.monotonic() + 1.6
    while time.monotonic() < end:
        for row in range(1, 13):
            if row != but:
                conn.query(f"update account set balance = balance where id = {row}")


def kept(cluster):
    """How many sagas nodes keep for settled readers."""
    return sum(int(rows(s, "select tusk_saga_joined()")[0][0]) for s in cluster.shards)


def settled_stuck(checks, cluster):
    one, two, far = pairs_of(cluster)
    with connect(cluster.router) as a, connect(cluster.router) as plain:
        a.query("set tusk.saga_reads = settled")
        whole = a.query("select sum(balance) from account")[-1].rows
        before = a.query(f"select balance from account where id = {two}")[-1].rows
        plain.query(f"insert into line values ({far}, 't1.to', 0)")
        number = plain.query(f"start saga transfer ('t1', {two}, {far}, 5) with key 't1' wait")[-1].rows[0][0]
        churn(plain, two)   # for longer than history_window: what it replaced is still there
        got = a.query(f"select balance from account where id = {two}")[-1].rows
        checks.check("settled: a stuck one is not seen", got == before, (got, before))
        for bucket in range(0, 64, 2):   # nor does its home's move change that
            plain.query(f"alter table tusk_cluster.sagas move bucket {bucket} to n{bucket % 3 + 1}")
        got = a.query(f"select balance from account where id = {two}")[-1].rows
        checks.check("settled: wherever its home goes", got == before, (got, before))
        at = places(cluster)
        bucket = rows(cluster.router, f"select tusk_bucket('account', '{two}')")[0][0]
        plain.query(f"alter table account move bucket {bucket} to n{3 - at[far] - at[two] + 1}")
        state = sqlstate(lambda: a.query(f"select balance from account where id = {two}"))
        checks.check("settled: its rows have moved", state == "TS011", state)
        state = sqlstate(lambda: a.query("select sum(balance) from account"))
        checks.check("settled: nor is a scatter answered", state == "TS011", state)
        plain.query(f"alter saga instance {number} skip step book")
        got, _ = until_settled(a, "select sum(balance) from account")
        checks.check("settled: when it has ended", got == whole, (got, whole))
        got, refused = until_settled(a, f"select balance from account where id = {two}")
        checks.check("settled: it is seen", refused == 0 and got == [(str(int(before[0][0]) - 5),)], (got, before))
        plain.query(f"delete from line where account = {far} and id = 't1.to'")


def clock_of(server):
    return int(rows(server, "select tusk_hlc()")[0][0])


def raise_clock(server, stamp):
    with connect(server) as conn:
        conn.query(f"set tusk.route = 'hlc={stamp}'")
        conn.query("select count(*) from account")


def as_of(cluster, stamp, sql):
    """What a router says that is very slow: as of this stamp, from each node."""
    lists, answers, epoch = [], [], 0
    for server in cluster.shards:
        with connect(server) as conn:
            conn.query(f"set tusk.route = 'read_at={stamp}'")
            lists.append(bytes.fromhex(conn.query("select tusk_saga_open()")[-1].rows[0][0][2:]))
            epoch = int.from_bytes(lists[-1][16:24], "big")
    body = stamp.to_bytes(8, "big") + max(x[8:16] for x in lists) + bytes(8)
    body += sum(int.from_bytes(x[24:28], "big") for x in lists).to_bytes(4, "big")
    body += b"".join(x[28:] for x in lists)
    for server in cluster.shards:
        with connect(server) as conn:
            conn.query("set tusk.saga_reads = settled")
            conn.query(f"set tusk.route = 'epoch={epoch} read_at={stamp}'")
            conn.send(b"s", body)
            answers += conn.query(sql)[-1].rows
    return dict(answers)


def settled_skewed(checks, cluster):
    """Nodes' clocks are seconds apart, and a reader's moment is between them: stamps are in the order
    of what happens all the same (SR2)."""
    one, _, far = pairs_of(cluster)
    at, second = places(cluster), 1000000 << 12

    def owner(number):
        return [k for k, s in enumerate(cluster.shards) if rows(
            s, "select 1 from tusk_buckets where bucketgroup = 'tusk_cluster.sagas' and state = 'owned' "
               f"and bucket = {int(number) % 64}")][0]

    def text_for_another_home(conn):
        """Where it begins a saga's text says, if there is no key."""
        for i in range(40):
            text = f"start saga hop ({one}, {far}) wait" + " " * i
            if owner(conn.query(text)[-1].rows[0][0]) != at[one]:
                return text
        return None

    def begin(ahead):
        """All clocks alike; then these are ahead, and the moment is between."""
        wait_for(lambda: kept(cluster) == 0)   # else routers set the clocks
        top = max(clock_of(s) for s in cluster.shards)
        for shard in cluster.shards:
            raise_clock(shard, top)
        for i, shard in enumerate(cluster.shards):
            if ahead(i):
                raise_clock(shard, top + 6 * second)
        return top + 3 * second

    def differs(moment, before):
        got = as_of(cluster, moment, "select id, balance from account")
        return {k: (before[k], got.get(k)) for k in before if got.get(k) != before[k]}

    with connect(cluster.router) as a:
        a.query("create saga hop (p_from int, p_to int) "
                "step take on account (id => p_from) do $$ update account set balance = balance - 1 "
                "where id = p_from $$ undo auto "
                "step give on account (id => p_to) do $$ update account set balance = balance + 1 "
                "where id = p_to $$ retriable")
        text = text_for_another_home(a)
        for what, ahead in (("a step is behind its saga's beginning", lambda i: i != at[one]),
                            ("a saga's end is behind all it has done", lambda i: i == at[one])):
            before = dict(a.query("select id, balance from account")[-1].rows)
            moment = begin(ahead)
            a.query(text)
            wrong = differs(moment, before)
            checks.check(f"settled: {what}", not wrong, wrong)
            a.query("start saga hop (%d, %d) wait" % (far, one))
        a.query("drop saga hop")


def settled_killed(checks, cluster):
    one, two, far = pairs_of(cluster)
    at = places(cluster)
    with connect(cluster.router) as a, connect(cluster.router) as plain:
        a.query("set tusk.saga_reads = settled")
        whole = a.query("select sum(balance) from account")[-1].rows
        half = Half(cluster, "kill1", one, far)
        victim = cluster.shards[at[one]]
        victim.kill()
        victim.start()
        wait_for(lambda: plain.query("select sum(balance) from account"))
        state = sqlstate(lambda: a.query(f"select balance from account where id = {one}"))
        checks.check("settled: a node was killed amid a saga", state == "TS011", state)
        got = a.query(f"select balance from account where id = {far}")[-1].rows
        checks.check("settled: not all nodes were", len(got) == 1, got)
        half.finish()
        got, _ = until_settled(a, "select sum(balance) from account")
        checks.check("settled: when it has ended all is seen", got == whole, (got, whole))
        half = Half(cluster, "kill2", one, far)
        got = a.query("select sum(balance) from account")[-1].rows
        checks.check("settled: what begins afterwards is known again", got == whole, (got, whole))
        half.finish()
        cluster.shards[2].kill()
        state = sqlstate(lambda: a.query(f"select balance from account where id = {one}"))
        checks.check("settled: all nodes are asked", state in ("08001", "08007"), state)
        cluster.shards[2].start()
        got = wait_for(lambda: a.query("select sum(balance) from account")[-1].rows == whole)
        checks.check("settled: and answer again", got)
        checks.check("settled: nothing is kept of what has ended", wait_for(lambda: kept(cluster) == 0), kept(cluster))


def forgotten(checks, cluster):
    with connect(cluster.router) as a:
        for shard in cluster.shards:
            with connect(shard) as b:
                b.query("alter system set tusk.saga_history = '1s'")
                b.query("select pg_reload_conf()")
        gone = wait_for(lambda: a.query("select count(*) from tusk_sagas")[-1].rows == [("0",)], 40)
        checks.check("old sagas go", gone, a.query("select count(*) from tusk_sagas")[-1].rows)

        def left():
            return sum(int(rows(s, f"select count(*) from tusk_cluster.{t}")[0][0]) for s in cluster.shards
                       for (t,) in rows(s, "select relname from pg_class where relname like 'steps!_%' "
                                           "escape '!' and relkind = 'r'"))
        checks.check("with the records of their steps", wait_for(lambda: left() == 0, 20), left())
        for text in ("drop table line", "drop table account", TABLES[0]):
            a.query(text)


def examples(checks, cluster):
    """docs/cluster-examples.md, statement by statement."""
    path = os.path.join(ROOT, "docs", "cluster-examples.md")
    blocks_of = re.findall(r"```(sql|text)\n(.*?)```", open(path, encoding="utf-8").read(), re.S)
    with connect(cluster.router) as a:
        result = []
        for kind, text in blocks_of:
            if kind == "sql":
                result = []
                for statement in split(text):
                    result = a.query(statement)[-1].rows or result
            else:
                got = "\n".join(" | ".join("" if v is None else v for v in row) for row in result)
                wanted = re.sub(r"(?m)^\d{10,}", "NUMBER", text.strip())
                got = re.sub(r"(?m)^\d{10,}", "NUMBER", "\n".join(x.strip() for x in got.split("\n")))
                checks.check("docs/cluster-examples.md", got == "\n".join(
                    x.strip() for x in wanted.split("\n")), f"\n--- wanted\n{wanted}\n--- got\n{got}")


def split(text):
    """Statements end with a semicolon at a line's end, out of $$."""
    statement = ""
    for line in text.split("\n"):
        statement += line + "\n"
        if line.rstrip().endswith(";") and statement.count("$$") % 2 == 0:
            yield statement
            statement = ""


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    with Cluster(build, arguments=["-c", "router_breaker_pause=100"]) as cluster:
        for part in (definitions, transfers, blocks, notes, held, there_and_back, altered, settled,
                     settled_stuck, settled_skewed, settled_killed, moved, undone_elsewhere, waited_for_while_it_moves,
                     names, databases, absent, forgotten):
            part(checks, cluster)
    if os.path.exists(os.path.join(ROOT, "docs", "cluster-examples.md")):
        with Cluster(build) as cluster:
            examples(checks, cluster)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
