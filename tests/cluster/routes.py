#!/usr/bin/env python3
"""What goes where: EXPLAIN of routes and of what nodes are asked for; how much comes to the router.

    tests/cluster/routes.py [BUILD]
"""
import sys

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
             ["the first rows of each", "ORDER BY t1.\"age\"", "LIMIT 7", "Sort"], []),
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


def bounds(checks, cluster):
    """More than router_pull_size is refused; what nodes add up is not."""
    with connect(cluster.router) as a:
        for i in range(1000, 1400):
            a.query(f"insert into users values ({i}, '{'x' * 400}', {i % 7})")
        try:
            a.query("select name || name from users")
            checks.check("what is pulled up is bounded", False)
        except pgwire.Error as error:
            checks.check("what is pulled up is bounded", (error.detail or "").startswith("Reason 13 "), error)
        got = a.query("select max(name) > 'x', count(*) from users")[-1].rows
        checks.check("what the nodes have done is not", got == [("t", "460")], got)
        got = len(a.query("select name from users order by name desc limit 30")[-1].rows)
        checks.check("nor are the first rows", got == 30, got)


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    with Cluster(build, arguments=["-c", "router_pull_size=64kB"]) as cluster:
        with connect(cluster.router) as a:
            schema(a)
            explained(checks, a)
        cursors(checks, cluster)
        bounds(checks, cluster)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
