#!/usr/bin/env python3
"""What goes where: EXPLAIN of routes and of what nodes are asked for; rows that stream through the router.

    tests/cluster/routes.py [BUILD]
"""
import sys
import time

from cluster import Cluster, connect
import pgwire
from server import Checks


def plan(connection, sql):
    return "\n".join(row[0] for row in connection.query("explain (costs off) " + sql)[-1].rows)


def schema(a):
    a.query("create table users (id int primary key, name text, age int) shard by hash (id) buckets 32")
    a.query("create table orders (user_id int, n int, amount numeric, primary key (user_id, n)) "
            "shard by hash (user_id) buckets 32 colocate with users")
    a.query("create table items (sku text primary key, qty int) shard by range (sku) (('g'), ('p'))")
    a.query("create table cities (name text primary key, pop int) replicated")
    for i in range(60):
        a.query(f"insert into users values ({i}, 'u{i}', {i % 7})")
    for sku in ("a", "b", "g", "h", "p", "q"):
        a.query(f"insert into items values ('{sku}', 1)")


def explained(checks, a):
    """(statement, what its plan says, what it does not)"""
    for sql, there, not_there in (
            ("select * from users where id = 7", ["Route: node n"], ["Remote"]),
            ("select * from users where id = 7 and age > 3 or id = 7", ["n1, n2, n3"], []),
            ("select age, count(*), avg(id) from users group by age having count(*) > 1",
             ["partial aggregates of n1, n2, n3", "GROUP BY", "HashAggregate"], ["HAVING"]),
            ("select id, count(*) from users group by id having count(*) > 1",
             ["whole groups", "HAVING"], ["HashAggregate"]),
            ("select name from users order by age limit 5 offset 2",
             ["the first rows of each, merged in order", "ORDER BY t1.\"age\"", "LIMIT 7"], ["Sort"]),
            ("select name from users order by lower(name) desc nulls first, age",
             ["rows, merged in order of n1, n2, n3", "DESC NULLS FIRST"], ["Sort"]),
            ("select age from users order by age, random()", ["Remote: rows of", "Sort"], ["ORDER BY"]),
            ("select distinct age from users order by age limit 3", ["Sort", "LIMIT 3"], ["merged"]),
            ("select id, count(*) from users group by id order by 2 desc, 1",
             ["whole groups, merged in order"], ["Sort"]),
            ("select age, count(*) from users group by age order by 1", ["partial aggregates", "Sort"], ["merged"]),
            ("select distinct age from users", ["SELECT DISTINCT", "HashAggregate"], []),
            ("select count(distinct age) from users", ["SELECT DISTINCT"], []),
            ("select name from users where age > 3", ["t1.\"age\" OPERATOR(pg_catalog.>)"],
             ["Filter", "t1.\"id\""]),
            ("select u.name, o.amount from users u left join orders o on o.user_id = u.id",
             ["LEFT JOIN"], ["Hash"]),
            ("select u.name, o.amount from users u join orders o on o.n = u.id", ["Hash Join"], ["JOIN \""]),
            ("select u.name, c.pop from users u join cities c on c.name = u.name", ["CROSS JOIN"], ["Hash"]),
            ("select name from cities left join users using (name)", ["Hash"], ["JOIN \""]),
            ("select * from items where sku between 'h' and 'z'", ["of n2, n3"], []),
            ("select * from items where sku > 'q'", ["Route: node n3"], []),
            ("select * from items where sku in ('a', 'q')", ["of n1, n3"], ["n2"]),
            ("update items set qty = 2 where sku >= 'p'", ["Route: node n3"], []),
            ("select name from users where random() < 2", ["Filter: (random()"], ["WHERE"]),
            ("select name from users where lower(name) = 'u1' and now() > '2000-01-01'",
             ["\"lower\"", "Filter: (now()"], [])):
        text = plan(a, sql)
        checks.check(f"route of {sql}", all(t in text for t in there) and not any(t in text for t in not_there),
                     text)


def cursors(checks, cluster):
    """Rows of one moment, a few at a time."""
    with connect(cluster.router) as a, connect(cluster.router) as b:
        def outcome(sql):
            try:
                return a.query(sql)[-1].rows
            except pgwire.Error as error:
                return error.sqlstate
        a.query("begin")
        a.query("declare c cursor for select id from users where age = 3 union all select id from users "
                "where age = 4 order by 1")
        first = outcome("fetch 2 from c")
        b.query("insert into users values (500, 'new', 3)")
        rest = outcome("fetch all from c")
        checks.check("a cursor over all nodes", first == [("3",), ("4",)] and len(rest) == 15 and
                     ("500",) not in rest, (first, rest))
        checks.check("the next query sees what is new", outcome("select count(*) from users where age = 3") ==
                     [("10",)])
        got = outcome("select name from users where id = 500"), outcome("move backward all in c"), \
            outcome("fetch 1 from c")
        checks.check("it stays while the block is on one node", got[0] == [("new",)] and got[2] == [("3",)], got)
        got = outcome("close c"), outcome("fetch 1 from c")
        checks.check("CLOSE", got == ([], "34000"), got)
        a.query("rollback")
        a.query("begin")
        a.query("declare d cursor for select id from users where id in (7) order by 1")
        got = outcome("fetch 5 from d"), outcome("update users set name = 'seven' where id = 7"), \
            outcome("select name from users where id = 7"), outcome("close d"), outcome("commit")
        checks.check("a cursor on one node", got[0] == [("7",)] and got[2] == [("seven",)], got)
        a.query("begin")
        a.parse("select id from users where age >= $1 order by id", types=[23])
        a.bind([b"0"])
        a.execute_portal(rows_max=3)
        a.sync()
        first = a.collect()[-1].rows
        b.query("delete from users where id = 500")
        a.execute_portal(rows_max=1000)
        a.sync()
        rest = a.collect()[-1].rows
        checks.check("a portal in parts", len(first) == 3 and len(rest) == 58 and rest[-1] == ("500",),
                     (first, len(rest)))
        a.query("commit")


def memory_of(router):
    with open(f"/proc/{router.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def pools(connection):
    """Connections to the nodes that are in use; sagas have one to each always."""
    return int(connection.query("select sum(connections - idle) from tusk_router_pools")[-1].rows[0][0]) - 3


def settled(connection):
    """All of them are idle, in a while."""
    for _ in range(100):
        if pools(connection) == 0:
            return True
        time.sleep(0.05)
    return False


def streams(checks, cluster):
    """Rows go through, as many as there are; who reads slowly, leaves, cancels or fails leaves nothing."""
    many = 60000
    with connect(cluster.router) as a, connect(cluster.router) as watch:
        def outcome(sql, connection=a):
            try:
                return connection.query(sql)[-1].rows
            except pgwire.Error as error:
                return error.sqlstate, error.message, (error.detail or "")
        a.query("create table big (id int primary key, n int, t text) shard by hash (id) buckets 32")
        a.query("set tusk.copy_spread = on")
        a.copy_in("copy big from stdin", "".join(
            f"{i}\t{i * 7919 % many}\t{'x' * 200}\n" for i in range(many)).encode())
        before = memory_of(cluster.router)
        rows = outcome("select id from big")
        checks.check("all rows", len(rows) == many and len(set(rows)) == many, len(rows))
        rows = outcome("select n, id from big order by n desc")
        checks.check("in order", [int(r[0]) for r in rows] == list(range(many))[::-1], len(rows))
        data = a.copy_out("copy big to stdout")
        checks.check("COPY TO", data.count(b"\n") == many)
        rows = outcome("select count(*) from big x join big y on y.n = x.id")
        checks.check("a join of what does not fit", rows == [(str(many),)], rows)
        got = outcome("select sum(length((select max(y.t || x.t) from big y where y.n < x.n))) from big x")
        checks.check("what is read again and again is bounded", got[2].startswith("Reason 13 "), got)

        # A client that does not read: nothing comes to the router.
        slow = connect(cluster.router)
        slow.send(b"Q", pgwire.cstr("select a.id, b.id, a.t from big a join (values (1), (2), (3), (4), (5)) b (id) on true"))
        time.sleep(0.5)
        grown = memory_of(cluster.router) - before
        checks.check("a slow client costs no memory", grown < 40, f"{grown:.0f} MB")
        held = pools(watch)
        checks.check("and has its connections", held == 3, held)
        slow.sock.close()
        checks.check("until it has left", settled(watch), pools(watch))

        # Cancel, a timeout, and an error of one node amid the rows.
        sleeper = connect(cluster.router)
        sleeper.send(b"Q", pgwire.cstr("select id, t from big order by n"))
        sleeper.cancel()
        try:
            sleeper.collect()
            state = "done"
        except pgwire.Error as error:
            state = error.sqlstate
        checks.check("cancel", state in ("57014", "done"), state)
        got = outcome("select 1", sleeper)
        checks.check("and it goes on", got == [("1",)], got)
        sleeper.close()
        outcome("set statement_timeout = '150ms'")
        got = outcome("select count(*) from big a join big b on a.n < b.n")
        checks.check("statement_timeout", got[:2] == ("57014", "canceling statement due to statement timeout"), got)
        outcome("reset statement_timeout")
        got = outcome("select id, 1 / (id - 40000) from big")
        checks.check("an error amid the rows", got[0] == "22012", got)
        checks.check("all connections are idle again", settled(watch), pools(watch))
        got = outcome("select count(*), sum(id) from big")
        checks.check("and sound", got == [(str(many), str(many * (many - 1) // 2))], got)

        # Several streams of one cursor at once, over the same connections.
        a.query("begin")
        a.query("declare c cursor for select x.id, y.n from (select id from big order by id) x "
                "join (select id, n from big where random() < 2 order by id) y on y.id = x.id + 0 where random() < 2")
        a.query("declare d cursor for select id from big order by id")
        got = [outcome("fetch 1 from d")[0][0], len(outcome("fetch 1000 from c")), outcome("fetch 1 from d")[0][0],
               len(outcome("fetch all from c")), len(outcome("fetch all from d"))]
        checks.check("two cursors", got == ["0", 1000, "1", many - 1000, many - 2], got)
        a.query("rollback")
        a.query("begin")
        a.query("declare c cursor for select id from big order by id")
        outcome("fetch 10 from c")
        held = pools(watch)
        checks.check("a cursor holds a connection to each node", held == 3, held)
        a.query("close c")
        held = pools(watch)
        checks.check("as long as it is open", held == 0, held)
        a.query("commit")

        # A shard that dies amid the rows of a stream, and comes back.
        a.query("begin")
        a.query("declare c cursor for select id from big order by id")
        outcome("fetch 10 from c")
        cluster.shards[1].kill()
        got = outcome("fetch all from c")
        checks.check("a shard that dies", got[0] in ("08007", "08001", "57P01"), got)
        a.query("rollback")
        cluster.shards[1].start()
        for _ in range(100):
            got = outcome("select count(*) from big")
            if got == [(str(many),)]:
                break
            time.sleep(0.1)
        checks.check("and is back", got == [(str(many),)], got)
        checks.check("connections are sound at the end", settled(watch), pools(watch))


def prepared(checks, cluster):
    """PREPARE, EXECUTE and DEALLOCATE in SQL."""
    with connect(cluster.router) as a, connect(cluster.router) as b:
        def outcome(sql, connection=a):
            try:
                return connection.query(sql)[-1].rows
            except pgwire.Error as error:
                return error.sqlstate, error.message, error.detail or ""
        got = outcome("prepare one (int) as select name from users where id = $1"), outcome("execute one (27)"), \
            outcome("execute one (13 + 14)"), outcome("execute one ('28')"), outcome("execute one (null)")
        checks.check("EXECUTE finds the node", got == ([], [("u27",)], [("u27",)], [("u28",)], []), got)
        got = outcome("prepare all_of as select count(*) from users where age >= $1"), outcome("execute all_of (0)")
        checks.check("or asks all", got[1][0][0] == "60", got)
        got = outcome("prepare change (int, text) as update users set name = $2 where id = $1 returning id, name"), \
            outcome("execute change (9, 'it''s \\ nine')"), outcome("execute one (9)"), outcome("execute change (9, 'u9')")
        checks.check("changes", got[1] == [("9", "it's \\ nine")] and got[2] == [("it's \\ nine",)], got)
        got = outcome("prepare one as select 1"), outcome("execute two (1)"), outcome("execute one (1, 2)"), \
            outcome("execute one ('x')"), outcome("prepare w as update users set name = 'x'"), outcome("execute w")
        checks.check("what is wrong with them", [g[0] for g in got] == ["42P05", "26000", "42601", "22P02", "0A000",
                     "26000"] and "\"one\"" in got[2][1], got)
        got = "\n".join(row[0] for row in outcome("explain (costs off) execute one (27)")), \
            "\n".join(row[0] for row in outcome("explain execute all_of (1)"))
        checks.check("EXPLAIN EXECUTE", "Route: node n" in got[0] and "partial aggregates" in got[1], got)
        outcome("begin")
        got = outcome("execute one (27)"), outcome("execute change (27, 'other')"), outcome("execute one (28)")
        checks.check("in a block", got[0] == [("u27",)] and got[1] == [("27", "other")] and got[2][0] == "0A000", got)
        outcome("rollback")
        a.parse("select id from users where id = $1", name="by_protocol", types=[23])
        a.sync()
        a.collect()
        a.bind([b"11"], name="one")
        a.execute_portal()
        a.sync()
        got = a.collect()[-1].rows
        checks.check("Bind of what PREPARE has prepared", got == [("u11",)], got)
        got = outcome("execute by_protocol (12)")
        checks.check("EXECUTE of what Parse has", got == [("12",)] or got[0] == "26000", got)
        got = sorted(outcome("select name, parameter_types, from_sql from pg_prepared_statements"))
        checks.check("pg_prepared_statements", got == [("all_of", "{integer}", "t"), ("by_protocol", "{integer}", "f"),
                     ("change", "{integer,text}", "t"), ("one", "{integer}", "t")], got)
        outcome("alter table users add column more int default 5", b)
        got = outcome("execute one (27)"), outcome("deallocate by_protocol"), outcome("deallocate one"), \
            outcome("execute one (27)")
        checks.check("DEALLOCATE", got[0] == [("u27",)] and got[1:3] == ([], []) and got[3][0] == "26000", got)
        got = outcome("discard plans"), outcome("execute all_of (0)"), outcome("deallocate all"), \
            outcome("execute all_of (0)"), outcome("prepare one as select 1"), outcome("discard all"), \
            outcome("select * from pg_prepared_statements")
        checks.check("all of them", got[1][0][0] == "60" and got[3][0] == "26000" and got[6] == [], got)


def heard(connection, wait=0.3):
    """(channel, payload) of what has come, and the warnings, until nothing more does."""
    connection.sock.settimeout(wait)
    got = []
    try:
        while True:
            message = connection.receive()
            if message.type == "A":
                channel, payload = message.body[4:].split(b"\0")[:2]
                got.append((channel.decode(), payload.decode()))
            elif message.type == "N":
                got.append(("warning", pgwire.parse_fields(message.body)["M"]))
    except (TimeoutError, pgwire.ConnectionLost):
        pass
    connection.sock.settimeout(30)
    return got


def notify(checks, cluster):
    """LISTEN hears what is notified anywhere in the cluster."""
    with connect(cluster.router) as a, connect(cluster.router) as b, cluster.new_router() as other, \
            connect(other) as c, connect(cluster.shards[2]) as direct:
        def outcome(sql, connection=b):
            try:
                return connection.query(sql)[-1].rows
            except pgwire.Error as error:
                return error.sqlstate
        a.query("listen news")
        a.query("listen \"Other\"")
        outcome("notify news, 'plain'")
        outcome("select pg_notify('news', 'by a function')")
        outcome("notify elsewhere, 'nobody'")
        direct.query("notify news, 'at a shard'")
        outcome("notify \"Other\", 'other router'", c)
        got = heard(a)
        checks.check("what is heard", sorted(got) == sorted([("news", "plain"), ("news", "by a function"),
                     ("news", "at a shard"), ("Other", "other router")]), got)
        outcome("begin")
        for i in (21, 22, 23):
            outcome(f"update users set age = age where id = {i}")
            outcome("rollback" if i == 22 else "select 1")
            outcome("begin" if i == 22 else "select 1")
        outcome("rollback")
        outcome("begin")
        outcome("update users set age = age where id = 24")
        outcome("notify news, 'in a block'")
        outcome("savepoint s")
        outcome("notify news, 'taken back'")
        outcome("rollback to s")
        before = heard(a, 0.1)
        outcome("commit")
        outcome("begin")
        outcome("notify news, 'before the shard'")
        outcome("update users set age = age where id = 25")
        outcome("commit")
        outcome("begin")
        outcome("notify news, 'rolled back'")
        outcome("rollback")
        outcome("select count(pg_notify('news', age::text)) from users where id in (1, 2, 3)")
        got = heard(a)
        checks.check("at commit, once", before == [] and sorted(got) == sorted([("news", "in a block"),
                     ("news", "before the shard"), ("news", "1"), ("news", "2"), ("news", "3")]), (before, got))
        b.parse("notify news, 'extended'")
        b.bind()
        b.execute_portal()
        b.sync()
        b.collect()
        got = heard(a)
        checks.check("by the extended protocol", got == [("news", "extended")], got)
        got = sorted(r[0] for r in a.query("select pg_listening_channels()")[-1].rows)
        checks.check("pg_listening_channels", got == ["Other", "news"], got)
        cluster.shards[1].kill()
        cluster.shards[1].start()
        got = heard(a, 1.5)
        checks.check("who might have missed something is told", len(got) == 1 and got[0][0] == "warning" and
                     "node \"n2\"" in got[0][1], got)
        with connect(cluster.shards[1]) as again:
            again.query("notify news, 'back'")
        got = heard(a)
        checks.check("and hears again", got == [("news", "back")], got)
        a.query("unlisten news")
        outcome("notify news, 'gone'")
        got = heard(a)
        checks.check("UNLISTEN", got == [], got)
        a.query("unlisten *")


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    with Cluster(build, arguments=["-c", "router_pull_size=64kB"]) as cluster:
        with connect(cluster.router) as a:
            schema(a)
            explained(checks, a)
        cursors(checks, cluster)
        prepared(checks, cluster)
        notify(checks, cluster)
        streams(checks, cluster)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
