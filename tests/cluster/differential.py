#!/usr/bin/env python3
"""Generated SQL on one tuskd and on three behind a router: equal or refused, never different.

    tests/cluster/differential.py [--build release] [--seed N] [--count N] [--log FILE]

Refused is SQLSTATE 0A000 with a number of tusk_router_refusals; nothing has changed then, so the
single server is spared the statement too. Half of the statements go by the extended protocol.
"""
import argparse
import random
import sys

from cluster import Cluster, connect
import pgwire
from server import Server

SCHEMA = [
    "create table users (id int primary key, name text, age int, city text) "
    "shard by hash (id) buckets 32",
    "create table orders (user_id int, n int, amount numeric, primary key (user_id, n)) "
    "shard by hash (user_id) buckets 32 colocate with users",
    "create table items (sku text primary key, qty bigint, price numeric) "
    "shard by range (sku) (('g'), ('p'))",
    "create table days (d int primary key, kind text) shard by list (d) ((1, 2, 3), (4, 5), (6, 7))",
    "create table cities (name text primary key, pop int) replicated",
    "create table notes (a int, b text)",
    "create view grown as select id, name, city from users where age >= 18",
    "create index on orders (amount)",
]
CITIES = ["ulm", "bonn", "kiel", "jena"]
SKUS = ["a1", "b2", "g0", "g1", "h7", "p0", "q9", "z3"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, *choices):
        return self.random.choice(choices)

    def id(self):
        return self.random.randint(1, 40)

    def user_condition(self, u="u"):
        r = self.random
        return self.pick(
            f"{u}.id = {self.id()}", f"{u}.id in ({self.id()}, {self.id()}, {self.id()})",
            f"{u}.id = {self.id()} and {u}.age > {r.randint(0, 60)}", f"{u}.age < {r.randint(0, 60)}",
            f"{u}.city = '{self.pick(*CITIES)}'", f"{u}.id between {self.id()} and {self.id()}",
            f"{u}.name like 'u1%'", f"{u}.city is null", f"{u}.id = {self.id()} or {u}.age = 30",
            f"{u}.id = {self.id()}::bigint", f"not {u}.id = {self.id()}", f"{u}.id + 0 = {self.id()}",
            f"{u}.id = (select min(user_id) from orders)",
            f"exists (select 1 from orders o2 where o2.user_id = {u}.id)",
            f"{u}.id in (select user_id from orders where amount > {r.randint(0, 90)})")

    def query(self):
        r = self.random
        order = self.pick("", " order by 1, 2", " order by 2 desc, 1", " order by 1 nulls first, 2")
        limit = self.pick("", "", f" limit {r.randint(0, 9)}",
                          f" limit {r.randint(1, 9)} offset {r.randint(0, 5)}") if order else ""
        tail = order + limit
        where = f" where {self.user_condition()}" if r.random() < 0.85 else ""
        join = self.pick("join", "left join", "right join", "full join")
        return self.pick(
            f"select u.id, u.name, u.age from users u{where}{tail}",
            f"select count(*), sum(u.age), min(u.name), max(u.age), avg(u.age) from users u{where}",
            f"select u.city, count(*) from users u{where} group by 1"
            f"{self.pick('', ' having count(*) > 1')}{tail}",
            f"select u.city, avg(u.age)::numeric(9,3) from users u{where} group by u.city{tail}",
            f"select distinct u.city, u.age from users u{where}{tail}",
            f"select u.id, o.n, o.amount from users u {join} orders o on o.user_id = u.id"
            f"{where}{' order by 1, 2, 3' if order else ''}",
            f"select u.id, c.pop from users u {join} cities c on c.name = u.city{where}{tail}",
            f"select u.id, n.b from users u {join} notes n on n.a = u.id{where}{tail}",
            f"select u.id, o.n from users u {join} orders o on o.user_id = u.id and u.id = {self.id()}"
            f"{tail}",
            f"select sku, qty from items where {self.items_condition()}{tail}",
            f"select sum(qty * price), count(distinct qty) from items where {self.items_condition()}",
            f"select d, kind from days where d = {r.randint(1, 7)}{tail}",
            f"select d, kind from days where d in ({r.randint(1, 7)}, {r.randint(1, 7)}){tail}",
            f"select id, name from grown g where {self.pick(f'g.id = {self.id()}', 'g.city is null')}"
            f"{tail}",
            f"select id, rank() over (order by age, id) from users u{where}{tail}",
            f"with o as (select user_id, sum(amount) as s from orders group by 1) "
            f"select u.id, s from users u left join o on o.user_id = u.id{where}{tail}",
            f"select id, 1 from users u{where} union select user_id, n from orders "
            f"where user_id = {self.id()}{tail}",
            f"select id, age from (select * from users order by id limit 5) s where s.id = {self.id()}",
            f"select s.id, s.c from (select id, count(*) over () as c from users) s "
            f"where s.id = {self.id()}",
            f"select name, pop from cities{tail}",
            f"select a, b from notes where a = {self.id()}{tail}",
            f"select id, (select count(*) from orders o where o.user_id = u.id) from users u{where}{tail}",
            f"select user_id, n from orders where user_id = {self.id()} and amount > 5{tail}",
            f"select u.id, l.n from users u, lateral (select n from orders o where o.user_id = u.id "
            f"order by n limit 1) l{where}{tail}")

    def items_condition(self):
        return self.pick(f"sku = '{self.pick(*SKUS)}'", f"sku >= '{self.pick(*SKUS)}'",
                         f"sku in ('{self.pick(*SKUS)}', '{self.pick(*SKUS)}')", "qty > 20",
                         f"sku = '{self.pick(*SKUS)}'::varchar")

    def change(self):
        r = self.random
        city = self.pick("null", *[f"'{c}'" for c in CITIES])
        return self.pick(
            f"insert into users values ({self.id()}, 'u{self.id()}', {r.randint(0, 70)}, {city})",
            f"insert into users (id, age) values ({self.id()}, {r.randint(0, 70)}) "
            f"on conflict (id) do update set age = excluded.age returning id, age",
            f"insert into users values ({self.id()}, 'a', 1, null), ({self.id()}, 'b', 2, 'ulm')",
            f"insert into orders values ({self.id()}, {r.randint(1, 4)}, {r.randint(0, 99)}.5)",
            f"insert into orders select {self.id()}, {r.randint(5, 9)}, 7",
            f"insert into orders select u.id, 10, u.age from users u where u.id = {self.id()}",
            f"insert into items values ('{self.pick(*SKUS)}', {r.randint(0, 50)}, {r.randint(1, 9)})",
            f"insert into days values ({r.randint(1, 8)}, 'k')",
            f"insert into notes values ({self.id()}, 'n') returning *",
            f"update users u set age = age + 1 where {self.user_condition()} returning id, age",
            f"update users set id = {self.id()} where id = {self.id()}",
            f"update orders o set amount = amount + 1 from users u "
            f"where u.id = o.user_id and u.id = {self.id()} returning o.user_id, o.n, o.amount",
            f"update items set qty = qty - 1 where {self.items_condition()}",
            f"delete from users where id = {self.id()}",
            f"delete from orders o where o.user_id = {self.id()} and n > 2 returning n",
            f"delete from days where d = {r.randint(1, 7)}",
            f"delete from notes where a = {self.id()}",
            "update notes set b = b || 'x'",
            f"with x as (delete from orders where user_id = {self.id()} returning *) "
            f"select count(*) from x",
            f"select id, age from users where id = {self.id()} for update")


def run(connection, statement, extended):
    """("rows", ...) or ("error", SQLSTATE, detail)"""
    try:
        result = connection.execute(statement) if extended else connection.query(statement)[-1]
        rows = result.rows
        return "rows", (rows if "order by" in statement.rsplit(")", 1)[-1] else
                        sorted(rows, key=lambda row: [(v is None, v or "") for v in row])), \
            [(c.name, c.type_oid) for c in result.columns], result.tag
    except pgwire.Error as error:
        return "error", error.sqlstate, error.detail or ""


def refused(outcome):
    return outcome[0] == "error" and outcome[1] == "0A000" and "tusk_router_refusals" in outcome[2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--log")
    options = parser.parse_args()
    generator = Generator(options.seed)
    log = open(options.log, "w", encoding="utf-8") if options.log else None
    counts = {"equal": 0, "refused": 0, "errors": 0}
    failures = 0
    with Server(options.build, ["--workers", "1"]) as single, Cluster(options.build) as cluster:
        one, many = connect(single), connect(cluster.router)
        for statement in SCHEMA:
            one.query(statement)
            many.query(statement)
        for name in CITIES:   # every node has its own copy
            for server in [single] + cluster.shards:
                with connect(server) as direct:
                    direct.query(f"insert into cities values ('{name}', {len(name) * 100})")
        for i in range(options.count):
            changes = i < 200 or generator.random.random() < 0.4
            statement = generator.change() if changes else generator.query()
            extended = generator.random.random() < 0.5
            got = run(many, statement, extended)
            if log:
                log.write(f"{statement};\n-- {got}\n")
            if refused(got):
                counts["refused"] += 1
                continue
            wanted = run(one, statement, extended)
            if got[:2] == wanted[:2] and got[2:] == wanted[2:] or \
                    got[0] == wanted[0] == "error" and got[1] == wanted[1]:
                counts["equal" if got[0] == "rows" else "errors"] += 1
                continue
            failures += 1
            if failures <= 10:
                print(f"FAILED: {statement}\n  one:  {wanted}\n  many: {got}", flush=True)
        one.sock.close()
        many.sock.close()
    print(f"{counts['equal']} equal, {counts['errors']} equal errors, {counts['refused']} refused, "
          f"{failures} different")
    if counts["refused"] * 3 > options.count:
        print("FAILED: too much is refused for this to say much")
        failures += 1
    if failures:
        print(f"again: tests/cluster/differential.py --seed {options.seed} --count {options.count}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
