#!/usr/bin/env python3
"""What a client of a cluster can get wrong, and what the cluster must then get right.

    tests/cluster/clients.py [BUILD]

Definitions that one node refuses, that end in a comment, that depend on the client's settings; sequences with
bounds; commits that fail at the shard; settings with anything in them; who may touch the schema's list.
"""
import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import time

from cluster import Cluster, Router, connect, sqlstate
import pgwire
from schema import VERSION, rows, wait_for
from server import ROOT, Checks, Server


def error_of(action):
    try:
        action()
    except pgwire.Error as error:
        return error
    return None


def same_version(cluster):
    return len({rows(s, VERSION)[0][0] for s in cluster.shards}) == 1


def contradicted(checks, cluster):
    """K5, K6: what rows of any node contradict is nobody's, and nobody is left behind."""
    with connect(cluster.router) as a:
        a.query("create table ck (id int primary key, v int, w int) shard by hash (id) buckets 12")
        for id in range(40):
            a.query(f"insert into ck values ({id}, 1, {id})")
        for id in range(0, 40, 5):   # on whatever node
            a.query(f"update ck set v = -1 where id = {id}")
            for sql, state in (("add constraint positive check (v > 0)", "23514"),
                               ("add column x int not null", "23502"),
                               ("alter v type int using 1 / (v + 1)", "22012")):
                got = error_of(lambda s=sql: a.query(f"alter table ck {s}"))
                checks.check(f"row {id} contradicts: {sql}", got is not None and got.sqlstate == state, got)
            a.query(f"update ck set v = 1 where id = {id}")
        got = error_of(lambda: a.query("alter table ck add column n int not null"))
        checks.check("the error says what one server's says",
                     got.fields.get("t") == "ck" and got.fields.get("c") == "n", got.fields)
        a.query("update ck set w = null where id = 7")
        got = error_of(lambda: a.query("create unique index on ck (id, (1 / (w - 8)))"))
        checks.check("an index that a row refuses", got.sqlstate == "22012", got)
        checks.check("all nodes have the same list", same_version(cluster))
        cluster.shards[2].kill()
        got = error_of(lambda: a.query("alter table ck add constraint positive check (v > 0)"))
        checks.check("who is away may have such rows", got.sqlstate == "08001", got)
        a.query("alter table ck add column later int default 3")
        cluster.shards[2].start()
        checks.check("what no row contradicts does not wait for him", wait_for(lambda: same_version(cluster)))
        a.query("alter table ck add constraint positive check (v > 0)")
        states = {sqlstate(lambda i=i: a.query(f"update ck set v = 0 where id = {i}")) for i in range(40)}
        checks.check("it holds on all nodes", states == {"23514"}, states)
        rows(cluster.shards[1], "create role stray")
        got = error_of(lambda: a.query("create role stray"))
        checks.check("a name that one node has by itself", got.sqlstate == "42710", got)
        checks.check("leaves nobody behind", same_version(cluster))


def written(checks, cluster):
    """A definition means on all nodes what it meant where it was written."""
    with connect(cluster.router) as a:
        a.query("create table remark (a int) -- the end")
        checks.check("a comment at the end", wait_for(lambda: same_version(cluster)) and
                     rows(cluster.shards[2], "select count(*) from remark") == [("0",)])
        a.query("set timezone = 'America/New_York'")
        a.query("set datestyle = 'SQL, DMY'")
        a.query("create table zones (id int primary key, t timestamptz default '02/01/2020 00:00', "
                "d date default '03/04/2020') shard by hash (id) buckets 12")
        for id in range(12):
            a.query(f"insert into zones values ({id})")
        a.query("reset all")
        got = set(a.query("select t, d from zones")[-1].rows)
        checks.check("constants are read by the client's settings",
                     got == {("2020-01-02 05:00:00+00", "2020-04-03")}, got)
        a.query("set search_path = ''")
        a.query("create table public.pathless (a int)")
        got = a.query("select count(*) from public.pathless")[-1].rows
        checks.check("an empty search_path, as pg_dump sets it", got == [("0",)], got)
        a.query("reset search_path")
        a.query("create role \"o'dd \"\"name\"")
        a.query("grant create on schema public to \"o'dd \"\"name\"")
        a.query("set role \"o'dd \"\"name\"")
        a.query("create table \"o'dd \"\"table\" (id int primary key, s serial)")
        a.query("reset role")
        owners = {rows(s, "select tableowner from pg_tables where tablename like 'o''dd%'")[0][0]
                  for s in cluster.shards}
        checks.check("names with quotes", owners == {"o'dd \"name"}, owners)
        for sql in ("create table pg_temp.t1 (a int)", "create temp view v1 as select 1",
                    "create temp sequence s1"):
            got = error_of(lambda s=sql: a.query(s))
            checks.check(f"refused: {sql}", got is not None and got.sqlstate == "0A000", got)
        a.query("create role nobody login")
        with pgwire.connect(port=cluster.router.port, user="nobody") as b:
            for sql in ("insert into tusk_cluster.ddl values (100000, 'alter role nobody superuser', "
                        "'postgres', '', '')", "select * from tusk_cluster.ddl"):
                got = error_of(lambda s=sql: b.query(s))
                checks.check(f"not for everybody: {sql}", got is not None and got.sqlstate == "42501", got)
        checks.check("all nodes have the same list", same_version(cluster))


def numbered(checks, cluster):
    """SQ1-SQ3"""
    with connect(cluster.router) as a:
        a.query("create table big (id bigint generated by default as identity (start with 5000 increment by 50), "
                "k int primary key) shard by hash (k) buckets 12")
        for k in range(30):
            a.query(f"insert into big (k) values ({k})")
        got = a.query("select count(distinct id), min(id), sum((id % 50)::int) from big")[-1].rows
        checks.check("START and INCREMENT are the client's", got == [("30", "5000", "0")], got)
        a.query("create table small (id smallserial, k int primary key) shard by hash (k) buckets 12")
        with cluster.new_router() as second, connect(second) as b:
            for k in range(2500):
                if k == 1500:
                    a.query("alter table small_id_seq rename to other_seq")
                (a if k % 7 else b).query(f"insert into small (k) values ({k})")
        got = a.query("select count(distinct id), max(id) < 32768 from small")[-1].rows
        checks.check("small ones, block after block, under another name too", got == [("2500", "t")], got)
        a.query("create sequence few maxvalue 40")
        a.query("create table lots (k int primary key, n bigint default nextval('few')) "
                "shard by hash (k) buckets 12")
        states = [sqlstate(lambda k=k: a.query(f"insert into lots values ({k})")) for k in range(120)]
        got = a.query("select count(distinct n) = count(*), max(n) <= 40, count(*) >= 25 from lots")[-1].rows
        checks.check("none is given twice, none beyond the limit", got == [("t", "t", "t")] and
                     set(states) == {None, "2200H"}, (got, set(states)))


def failing_commits(checks, cluster):
    """A COMMIT that fails ends the block: what follows is in none, at the shard and here."""
    with connect(cluster.router) as a:
        a.query("create table fp (id int primary key)")
        a.query("create table fc (id int primary key, p int references fp deferrable initially deferred)")
        for extended in (False, True):
            def run(sql, extended=extended):
                return a.execute(sql) if extended else a.query(sql)
            run("begin")
            run("insert into fc values (1, 1)")
            got = error_of(lambda: run("commit"))
            checks.check("a deferred key fails the COMMIT", got.sqlstate == "23503" and a.status == "I",
                         (got, a.status))
            run("insert into fp values (1)")
            checks.check("what follows is in no block", a.status == "I")
            with connect(cluster.router) as b:
                got = b.query("select count(*) from fp")[-1].rows
                checks.check("and everybody sees it", got == [("1",)], got)
            run("delete from fp")


def odd_settings(checks, cluster):
    """What a client sets may hold anything: it goes to the shard and back as it is."""
    values = ["a;\nb", "'; drop table odd; --", "\"", "''", "x\\y", "SET a = 'b';\n", "ü\t"]
    with connect(cluster.router) as a, connect(cluster.router) as b:
        a.query("create table odd (id int primary key)")
        a.query("insert into odd values (1)")
        for value in values:
            quoted = value.replace("'", "''")
            a.query(f"set my.value = '{quoted}'")
            a.query(f"set application_name = '{quoted}'")
            b.query("set my.value = 'mine'")
            for _ in range(2):
                got = [c.query("select current_setting('my.value') from odd")[-1].rows[0][0] for c in (a, b)]
                checks.check(f"setting {value!r}", got == [value, "mine"], got)
        a.query("set search_path = '', \"a\"\"b\", \"\"\"\", public")
        got = a.query("select current_setting('search_path'), count(*) from odd")[-1].rows
        checks.check("a path with empty and quoted names", got == [('"", "a""b", """", public', "1")], got)
        a.query("begin -- a block")
        a.query("savepoint s -- a point")
        got = a.query("select count(*) from odd")[-1].rows
        a.query("rollback -- and back")
        checks.check("comments behind BEGIN and SAVEPOINT", got == [("1",)], got)


def in_blocks(checks, cluster):
    """R12: definitions in blocks and in strings."""
    with connect(cluster.router) as a, connect(cluster.router) as b:
        def run(sql, extended):
            return a.execute(sql) if extended else a.query(sql)[-1]
        a.query("create table blocks (id int)")
        a.query("begin")
        got = error_of(lambda: a.query("create table refused (a int)"))
        checks.check("refused as long as it is not asked for", "Reason 6" in (got.detail or ""), got)
        a.query("rollback")
        a.query("alter role postgres set tusk.definitions_commit = on")
        with connect(cluster.router) as c:
            got = c.query("show tusk.definitions_commit")[-1].rows
            checks.check("a role's setting", got == [("on",)], got)
        a.query("set tusk.definitions_commit = on")
        for extended in (False, True):
            name = "bx" if extended else "bs"
            run("begin isolation level repeatable read", extended)
            run("insert into blocks values (1)", extended)
            run(f"create table {name} (id int)", extended)
            got = b.query("select count(*) from blocks")[-1].rows
            checks.check("it commits what was before it", got == [("1",)], got)
            run("insert into blocks values (2)", extended)
            level = run("show transaction_isolation", extended).rows
            checks.check("then a block like the one that was", (a.status, level) == ("T", [("repeatable read",)]))
            run("rollback", extended)
            got = b.query("select count(*) from blocks")[-1].rows
            checks.check("and ROLLBACK takes back what came after it", got == [("1",)], got)
            run("begin", extended)
            got = error_of(lambda n=name: run(f"create table {n} (id int)", extended))
            checks.check("one that fails fails the block", (got.sqlstate, a.status) == ("42P07", "E"), (got, a.status))
            run("rollback", extended)
            run("begin", extended)
            run("savepoint s", extended)
            got = error_of(lambda n=name: run(f"drop table {n}", extended))
            checks.check("not behind a savepoint", "Reason 6" in (got.detail or ""), got)
            run("rollback", extended)
            run("delete from blocks", extended)
        a.query("create table sa (a int primary key); create table sb (a int references sa); "
                "create index on sb (a) -- all three")
        checks.check("definitions in one string", same_version(cluster) and
                     rows(cluster.shards[1], "select count(*) from sb") == [("0",)])
        got = error_of(lambda: a.query("create table sc (a int); create table sa (a int)"))
        checks.check("are made together or not at all", got.sqlstate == "42P07" and
                     sqlstate(lambda: b.query("select * from sc")) == "42P01", got)
        got = error_of(lambda: a.query("create table sd (a int); insert into sd values (1)"))
        checks.check("not with what uses them", "Reason 3" in (got.detail or ""), got)
        a.query("select pg_advisory_unlock_all(); close all; unlisten *; reset all;")
        checks.check("asyncpg's reset", a.query("show tusk.definitions_commit")[-1].rows == [("off",)])
        a.query("alter role postgres reset tusk.definitions_commit")


def called(checks, cluster):
    """nextval alone, and by the extended protocol up to a block's end."""
    with connect(cluster.router) as a, connect(cluster.router) as b:
        a.query("create sequence sq increment 50")
        got = [int(c.query("select nextval('sq')")[-1].rows[0][0]) for c in (a, b, a)]
        got += [int(c.execute("select nextval('sq') as n").rows[0][0]) for c in (a, b)]
        checks.check("nextval", got == [1, 51, 101, 151, 201], got)
        for word in ("currval('sq')", "lastval()", "setval('sq', 5)"):
            got = error_of(lambda w=word: a.query(f"select {w}"))
            checks.check(f"refused: {word}", "Reason 14" in (got.detail or ""), got)
        a.query("create table ends (k int primary key, id smallserial) shard by hash (k) buckets 12")
        for k in range(1800):
            a.execute("insert into ends (k) values ($1)", [str(k)])
        got = a.query("select count(distinct id) from ends")[-1].rows
        checks.check("by the extended protocol, block after block", got == [("1800",)], got)
        failed = 0
        for k in range(1800, 4000):
            a.query("begin")
            try:
                a.execute("insert into ends (k) values ($1)", [str(k)])
                a.query("commit")
            except pgwire.Error as error:
                failed += 1
                checks.check("only for that", error.sqlstate == "2200H", error)
                a.query("rollback")
        checks.check("in a block the next one finds numbers", 0 < failed < 12, failed)


def described(checks, cluster):
    """What a client has been told of a statement's columns holds, or it is told that it does not."""
    with connect(cluster.router) as a, connect(cluster.router) as b:
        a.query("create table shapes (id int primary key, v int) shard by hash (id) buckets 12")
        a.query("insert into shapes values (1, 2)")
        for where in (" where id = 1", ""):
            a.parse(f"select * from shapes{where}", name="p")
            a.sync()
            a.collect()
            b.query("alter table shapes add column w int")
            for _ in range(2):
                a.bind(name="p")
                a.execute_portal()
                a.sync()
                got = error_of(a.collect)
                checks.check("other columns are not sent", got is not None and got.sqlstate == "0A000" and
                             got.fields.get("R") == "RevalidateCachedQuery", got)
            a.close_statement("p")
            a.sync()
            a.collect()
            got = a.execute(f"select * from shapes{where}")
            checks.check("prepared anew it has them", len(got.columns) == len(got.rows[0]) == 3, got.columns)
            b.query("alter table shapes drop column w")


def prepared(checks, router):
    """A text prepared under one client's settings is not another's."""
    with connect(router) as a, connect(router) as b:
        a.query("create schema pa")
        a.query("create schema pb")
        a.query("create table pa.who (n int)")
        a.query("create table pb.who (n int, m int)")
        a.query("create table moment (t timestamptz)")
        a.query("insert into moment values ('2020-07-01 00:00+00')")
        b.query("set timezone = 'Asia/Tokyo'")
        b.query("set datestyle = 'ISO, DMY'")
        sql = "select count(*) from moment where t = '07/01/2020 00:00'"
        for turn in range(3):
            got = [c.execute(sql).rows[0][0] for c in (a, b)]
            checks.check("literals are read by whose they are", got == ["1", "0"], (turn, got))
            a.query("set search_path = pa")
            b.query("set search_path = pb")
            got = [len(c.execute("select * from who").columns) for c in (a, b)]
            checks.check("names too", got == [1, 2], got)
            for c in (a, b):
                c.query("reset search_path")
        b.query("reset all")
        got = b.execute(sql).rows[0][0]
        checks.check("as of now", got == "1", got)


def keys(checks, cluster, router):
    """An idempotency key that is SET is of the next transaction that commits, once, whoever is at the shard next."""
    def count(c):
        return c.query("select count(*) from idem")[-1].rows[0][0]
    with connect(router) as a, connect(router) as b:
        a.query("create table idem (id int)")
        for extended in (False, True):
            def run(c, sql, extended=extended):
                return c.execute(sql) if extended else c.query(sql)
            word = "x" if extended else "s"
            b.query("delete from idem")
            for turn in range(3):
                a.query(f"set tusk.idempotency_key = '{word}1'")
                run(a, "insert into idem values (1)")
                left = a.query("show tusk.idempotency_key")[-1].rows
                checks.check("the key is used up", left == [("",)], left)
                checks.check("and the statement was done once", count(b) == "1", (turn, count(b)))
            run(a, "insert into idem values (2)")
            run(b, "insert into idem values (3)")
            checks.check("what follows has no key", count(b) == "3", count(b))
            a.query(f"set tusk.idempotency_key = '{word}2'")
            checks.check("a failure leaves it", sqlstate(lambda: run(a, "insert into idem values (1/(select 0))")) ==
                         "22012" and a.query("show tusk.idempotency_key")[-1].rows == [(f"{word}2",)])
            a.query("begin")
            run(a, "insert into idem values (4)")
            a.query("rollback")
            for turn in range(2):
                a.query("begin")
                a.query(f"set local tusk.idempotency_key = '{word}3'")
                run(a, "insert into idem values (5)")
                a.query("commit")
            checks.check("so does a rollback; LOCAL goes before it",
                         a.query("show tusk.idempotency_key")[-1].rows == [(f"{word}2",)])
            checks.check("each once", count(b) == "4", count(b))
            run(a, "insert into idem values (6)")
            run(b, "insert into idem values (7)")
            checks.check("then it is used", a.query("show tusk.idempotency_key")[-1].rows == [("",)] and
                         count(b) == "6", count(b))
        if cluster is None:
            return
        a.query("create table spread (id int primary key) shard by hash (id) buckets 12")
        a.query("set tusk.idempotency_key = 'one'")
        for sql in ("select count(*) from spread", "create table with_key (a int)"):
            got = error_of(lambda s=sql: a.query(s))
            checks.check(f"{sql} has no key", got is not None and "Reason 18" in (got.detail or ""), got)


def locked(checks, cluster):
    """An advisory lock at one node, or at the router, would exclude nobody elsewhere."""
    with connect(cluster.router) as a:
        a.query("create table adv (id int primary key, t text) shard by hash (id) buckets 12")
        a.query("create view locking as select pg_try_advisory_xact_lock(1) from adv where id = 1")
        for sql in ("select pg_advisory_xact_lock(1)", "select pg_try_advisory_xact_lock_shared(1, 2)",
                    "select pg_advisory_lock(1)", "select pg_try_advisory_lock(1)", "select pg_advisory_unlock(1)",
                    "select pg_advisory_unlock_all()", "select 1 where pg_try_advisory_xact_lock(1)",
                    "select * from pg_try_advisory_xact_lock(1)", 'select "pg_advisory_xact_lock"(id) from adv',
                    "select t from adv where id = 1 and pg_try_advisory_xact_lock(id)",
                    "select t from adv order by pg_try_advisory_xact_lock(id)", "table locking",
                    "insert into adv values (1, (select pg_try_advisory_xact_lock(1)::text))",
                    "insert into adv values (1, 'x') returning pg_advisory_xact_lock(id)",
                    "update adv set t = 'x' where id = 1 and pg_try_advisory_xact_lock(1)",
                    "delete from adv where id = 1 returning pg_try_advisory_xact_lock(1)",
                    "with x as materialized (select pg_advisory_xact_lock(1)) select 1 from x",
                    "explain select pg_advisory_xact_lock(1)", "copy (select pg_advisory_xact_lock(1)) to stdout"):
            for extended in (False, True):
                got = error_of(lambda s=sql, e=extended: a.execute(s) if e else a.query(s))
                checks.check(f"refused: {sql}", got is not None and "Reason 22 " in (got.detail or ""), got)
        got = error_of(lambda: a.query("declare c cursor with hold for select 1"))
        checks.check("cursors WITH HOLD as they were", "Reason 1 " in (got.detail or ""), got)
        a.query("insert into adv values (1, 'pg_advisory_lock(1)')")
        got = a.query("select 'pg_advisory_lock(1)' = t from adv where id = 1")[-1].rows
        checks.check("words are words", got == [("t",)], got)


def locked_at_one(checks, one, router):
    """Of one node all clients are there; what a session has is not given to the next client."""
    with connect(router) as a, connect(one) as b:
        a.query("create table adv (t text)")
        a.query("begin")
        a.query("select pg_advisory_xact_lock(7)")
        got = rows(one, "select pg_try_advisory_xact_lock(7)")
        checks.check("a transaction's lock is the node's", got == [("f",)], got)
        a.query("commit")
        got = b.query("select pg_try_advisory_xact_lock(7)")[-1].rows
        checks.check("until its end", got == [("t",)], got)
        a.query("insert into adv values ('pg_advisory_lock(1)')")
        for sql in ("select pg_advisory_lock(1)", 'select 1 where "pg_try_advisory_lock"(1)',
                    "insert into adv select pg_try_advisory_lock(1)", "delete from adv where pg_advisory_unlock(1)",
                    "copy (select pg_advisory_lock(1)) to stdout", "explain analyze select pg_advisory_lock(1)"):
            got = error_of(lambda s=sql: a.query(s))
            checks.check(f"refused: {sql}", got is not None and "Reason 1 " in (got.detail or ""), got)


def shown(checks, cluster, build):
    """The shell says of a table how it is sharded."""
    with connect(cluster.router) as a:
        a.query("create table shown (id int primary key, v int) shard by hash (id) buckets 12")
        a.query("create table copied (id int primary key) replicated")
        a.query("create table plain (id int primary key)")
    tusk = os.path.join(ROOT, "build", build, "tusk")
    for server in (cluster.router, cluster.shards[1]):
        for table, words in (("shown", "SHARD BY HASH (id) BUCKETS 12"), ("copied", "REPLICATED"), ("plain", None)):
            got = subprocess.run([tusk, "-X", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-d",
                                  "postgres", "-c", f"\\d {table}"], capture_output=True, text=True, timeout=60,
                                 check=False)
            said = f"Sharding:\n    {words}\n" in got.stdout if words else "Shard" not in got.stdout
            checks.check(f"\\d {table}", got.returncode == 0 and said, got.stdout + got.stderr)


def patient(checks, build):
    """A router whose nodes are not there yet waits for them, aloud; who comes is told that it starts."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]

    def begin(nodes):
        """Its start, up to the wait."""
        router = Router(build, nodes)
        router.port = port   # there is no "ready" to tell it
        starting = concurrent.futures.ThreadPoolExecutor(1).submit(router.start, 60)
        told = wait_for(lambda: os.path.exists(router.log) and 'waiting for node "n1": could not connect' in router.tail())
        checks.check("it says whom it waits for, and why", told, router.tail())
        got = sqlstate(lambda: connect(router))
        checks.check("clients are told that it starts", got == "57P03", got)
        return router, starting

    with Server(build, ["-c", "cluster_node=n1"]) as first, Server(build, ["-c", "cluster_node=n2"]) as second:
        both, seed = f"n1=127.0.0.1:{first.port},n2=127.0.0.1:{second.port}", f"n1=127.0.0.1:{first.port}"
        first.stop()
        router, starting = begin(both)
        checks.check("not of whom it has met", '"n2"' not in router.tail(), router.tail())
        began = time.monotonic()
        router.process.send_signal(signal.SIGTERM)
        checks.check("SIGTERM ends the wait at once", router.process.wait(60) == 0 and time.monotonic() < began + 5)
        checks.check("and the start", isinstance(starting.exception(60), RuntimeError))
        router.__exit__()
        second.stop()
        for nodes in (both, seed):
            router, starting = begin(nodes)
            if nodes == both:
                checks.check("of all", 'waiting for node "n2"' in router.tail(), router.tail())
                second.start()
            first.start()
            starting.result(60)
            got = rows(router, "select count(*) from tusk_nodes")
            checks.check("then it begins, and knows the cluster", got == [("2",)], got)
            first.stop()
            router.__exit__()
        first.start()


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    with Cluster(build, arguments=["-c", "router_breaker_pause=300"]) as cluster:
        for part in (contradicted, written, numbered, failing_commits, odd_settings, in_blocks, called,
                     described, locked):
            part(checks, cluster)
        keys(checks, cluster, cluster.router)
        prepared(checks, cluster.router)
        shown(checks, cluster, build)
    with Server(build) as one, Router(build, f"n1=127.0.0.1:{one.port}") as router:
        keys(checks, None, router)
        locked_at_one(checks, one, router)
        prepared(checks, router)
    patient(checks, build)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
