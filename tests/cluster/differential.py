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
    "create table users (id int primary key, name text, age int, city text, score float8, born date) "
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

    def aggregate(self, u="u"):
        return self.pick(
            "count(*)", f"count({u}.age)", f"sum({u}.age)", f"avg({u}.age)", f"min({u}.age)",
            f"max({u}.name)", f"sum({u}.age::bigint)", f"avg({u}.age::bigint)", f"sum({u}.score)",
            f"avg({u}.score)", f"sum({u}.age * 1.10)", f"avg({u}.age / 4.0)", f"count(distinct {u}.city)",
            f"sum(distinct {u}.age)", f"count(*) filter (where {u}.age > 30)",
            f"avg({u}.age) filter (where {u}.city = 'ulm')", f"bool_and({u}.age > 3)",
            f"bool_or({u}.city is null)", f"min({u}.born)", f"max({u}.born::timestamp)",
            f"avg({u}.score::real)", f"sum({u}.born - date '2000-01-01')", f"stddev({u}.age)",
            f"string_agg({u}.name, ',' order by {u}.id)", f"sum({u}.age) + count(*)",
            f"coalesce(sum({u}.age), -1)", f"sum(interval '1 day' * {u}.age)", f"every({u}.id > 0)",
            f"max({u}.age) - min({u}.age)", f"array_agg({u}.age order by {u}.id)")

    def group(self, u="u"):
        return self.pick(f"{u}.city", f"{u}.age % 3", f"{u}.id", f"{u}.age, {u}.city", f"{u}.id, {u}.city",
                         f"coalesce({u}.city, '-')", f"length({u}.name)", f"{u}.age > 30",
                         f"case when {u}.age > 20 then 'old' end", f"{u}.score")

    def pushed(self):
        """What nodes are asked to do before it is put together."""
        r = self.random
        where = f" where {self.user_condition()}" if r.random() < 0.7 else ""
        both = f"{self.aggregate()}, {self.aggregate()}"
        group = self.group()
        having = self.pick("", "", " having count(*) > 1", " having sum(u.age) > 20",
                           " having max(u.city) is not null")
        join = self.pick("join", "left join", "right join", "full join")
        wide = " order by 1 nulls first, 2, 3"
        limit = self.pick("", f" limit {r.randint(0, 6)}", f" limit {r.randint(1, 6)} offset {r.randint(0, 4)}",
                          f" offset {r.randint(0, 4)}", " limit null", " fetch first 3 rows with ties")
        rank = self.pick("order by age desc, id", "order by age nulls first, id", "order by id",
                         "order by name desc, id", "order by age + 1, id desc", "order by city, age, id")
        return self.pick(
            f"select {both} from users u{where}",
            f"select {both}, {group} from users u{where} group by {group}{having}{wide}",
            f"select {group}, {self.aggregate()} from users u{where} group by {group}{having}",
            f"select u.id, count(*), sum(o.amount) from users u {join} orders o on o.user_id = u.id"
            f"{where} group by u.id{having}{wide}",
            f"select o.user_id, count(*), avg(o.amount) from users u {join} orders o on o.user_id = u.id"
            f"{where} group by o.user_id{wide}",
            f"select c.pop, {self.aggregate()} from users u {join} cities c on c.name = u.city{where} "
            f"group by c.pop",
            f"select id, age + 1, upper(name) from users u{where} {rank}{limit}",
            f"select id, 100 / age from users u where age > 0 {rank}{limit}",
            f"select distinct {self.pick('city', 'age % 4', 'city, age % 2', 'id')} from users u{where}",
            f"select distinct age, city from users u{where} order by age desc nulls last, city{limit}",
            f"select distinct on (city) city, age, id from users u{where} order by city, age desc, id{limit}",
            f"select u.id, (select {self.pick('count(*)', 'sum(o.amount)', 'max(o.n)')} from orders o "
            f"where o.user_id = u.id) from users u{where} {rank}",
            f"select u.id from users u where u.id in (select user_id from orders where n > {r.randint(1, 4)})"
            f" {self.pick('', 'and u.age > 5')}",
            f"select u.id from users u where u.id not in (select user_id from orders)",
            f"select u.id from users u where not exists (select 1 from orders o where o.user_id = u.id "
            f"and o.amount > {r.randint(0, 90)})",
            f"select u.id, s.m from users u {join} (select user_id, max(amount) as m from orders o "
            f"group by user_id) s on s.user_id = u.id{where}",
            f"select count(*), sum(s.c) from (select city, count(*) as c from users u{where} group by city) s",
            f"select u.id, v.id from users u {join} users v on v.id = u.id and v.age > {r.randint(0, 60)}{where}",
            f"select u.id, v.id from users u {join} users v on v.age = u.id{where}",
            f"select u.id, o.n, p.n from users u left join orders o on o.user_id = u.id left join orders p "
            f"on p.user_id = o.user_id and p.n < o.n{where}",
            f"select u.id, o.n, c.pop from users u join orders o on o.user_id = u.id join cities c "
            f"on c.name = u.city{where}",
            f"select c.name, u.id from cities c left join users u on u.city = c.name{where}",
            f"select count(*) from users u, orders o where o.user_id = u.id and {self.user_condition()}",
            f"select count(*) from users u, orders o where o.user_id = {self.id()} and {self.user_condition()}",
            f"select city, grouping(city), count(*) from users u{where} group by rollup (city)",
            f"select city, count(*) from users u{where} group by 1 union all "
            f"select sku, count(*) from items group by 1",
            f"select sku, qty from items where sku between '{self.pick(*SKUS)}' and '{self.pick(*SKUS)}'",
            f"select count(*), sum(qty), avg(price) from items where sku {self.pick('<', '<=', '>', '>=')} "
            f"'{self.pick(*SKUS)}'",
            f"select sku from items where sku > '{self.pick(*SKUS)}' and sku < '{self.pick(*SKUS)}' "
            f"and qty > 5 order by sku{self.pick('', ' limit 2')}",
            f"select kind, count(*) from days where d in ({r.randint(1, 7)}, {r.randint(1, 7)}) group by kind",
            f"select id, sum(age) over (partition by city order by id) from users u{where}",
            f"select x.city, x.n from (select city, count(*) as n from users group by city) x "
            f"where x.n > {r.randint(0, 5)}",
            f"select id from users u where u.id = any('{{{self.id()},{self.id()}}}'::int[])",
            f"select id, name from users u where u.city = any(array['ulm', 'kiel']) {rank}{limit}",
            f"select u.city, o.n, count(*) from users u join orders o using (city) group by 1, 2"
            if r.random() < 0.02 else
            f"select n.a, count(u.id) from notes n left join users u on u.id = n.a group by n.a")

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
            f"update users set score = {r.randint(0, 40)} / 4.0, born = date '2000-01-01' + {r.randint(0, 999)}"
            f" where id = {self.id()}",
            f"delete from items where sku between '{self.pick(*SKUS)}' and '{self.pick(*SKUS)}'",
            f"update items set qty = qty + 1 where sku >= '{self.pick(*SKUS)}' returning sku, qty",
            f"delete from users where id = {self.id()}",
            f"delete from orders o where o.user_id = {self.id()} and n > 2 returning n",
            f"delete from days where d = {r.randint(1, 7)}",
            f"delete from notes where a = {self.id()}",
            "update notes set b = b || 'x'",
            f"with x as (delete from orders where user_id = {self.id()} returning *) "
            f"select count(*) from x",
            f"select id, age from users where id = {self.id()} for update",
            *self.changes_of_copies(city))

    def changes_of_copies(self, city):
        r = self.random
        return (
            f"insert into cities values ({city}, {r.randint(0, 900)}), ('ulm', 7) "
            f"on conflict (name) do update set pop = cities.pop + excluded.pop returning name, pop",
            f"insert into cities select name || '!', pop from cities where name = {city} returning name",
            f"update cities set pop = pop + {r.randint(1, 9)} where name = {city} or pop < {r.randint(0, 300)}",
            "update cities set pop = (select count(*) from notes) where name = 'jena' returning *",
            f"update cities set pop = u.age from users u where u.id = {self.id()} and u.city = name",
            f"update cities set name = {city} where name = 'ulm!'",
            f"delete from cities where name like '%!' and pop > {r.randint(0, 900)} returning name",
            f"delete from cities where name = {city} returning name",
            f"select name from cities where pop < {r.randint(0, 900)} order by name for update")


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
            for connection in (one, many):
                connection.query(f"insert into cities values ('{name}', {len(name) * 100})")
        for i in range(options.count):
            changes = i < 200 or generator.random.random() < 0.4
            statement = generator.change() if changes else \
                generator.query() if generator.random.random() < 0.4 else generator.pushed()
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
        copies = []
        for server in cluster.shards:
            with connect(server) as direct:
                copies.append(run(direct, "select * from cities order by 1", False)[1])
        if copies != [run(one, "select * from cities order by 1", False)[1]] * len(copies):
            failures += 1
            print(f"FAILED: copies of a replicated table differ: {copies}", flush=True)
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
