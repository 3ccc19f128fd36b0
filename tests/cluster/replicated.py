#!/usr/bin/env python3
"""Changes of replicated tables through routers: one order for all copies, and nobody sees older rows
behind a change that was answered. With nodes and routers that go away between any two steps.

    tests/cluster/replicated.py [BUILD] [--seconds N]
"""
import argparse
import random
import signal
import sys
import threading
import time

from cluster import Cluster, connect, rows, sqlstate, wait_for
import pgwire
from server import Checks

NUMBER = "select tusk_replicated_version()"
HASTY = ["-c", "router_breaker_pause=100", "-c", "router_replicated_timeout=400", "-c", "router_sync=200"]
PATIENT = ["-c", "router_breaker_pause=100", "-c", "router_replicated_timeout=10000", "-c", "router_sync=200"]
AGAIN = ("TR003", "TR004", "TR006", "40001", "40P01")


def copies(cluster, *tables):
    """Each node's rows and number."""
    return [[rows(s, f"select * from {t} order by 1") for t in tables] + rows(s, NUMBER) for s in cluster.shards]


def equal(cluster, *tables):
    all_of = copies(cluster, *tables)
    return all(one == all_of[0] for one in all_of)


def statements(checks, cluster):
    """Whatever changes rows, in either protocol: all copies are what the first node has made of it."""
    with connect(cluster.router) as a:
        a.query("create type mood as enum ('so', 'la')")
        a.query("create table r (id int primary key, u int unique, v text, f float8, at timestamptz default "
                "clock_timestamp(), n serial, m mood, twice int generated always as (u * 2) stored) replicated")
        a.query("create table child (id int primary key, r int references r on delete cascade on update cascade) "
                "replicated")
        a.query("create table s (id int primary key, v text) shard by hash (id) buckets 16")
        a.query("create table bare (a int) replicated")
        for i in range(32):
            a.query(f"insert into s values ({i}, 'v')")

        def same(what):
            checks.check(f"copies are equal: {what}", equal(cluster, "r", "child"), copies(cluster, "r", "child"))

        got = a.query("insert into r (id, u, v, f, m) values (1, 10, E'x\\t''', 0.1, 'so'), (2, 20, null, 'nan', "
                      "'la'), (3, 30, '', random(), null) returning id, n, at")[-1].rows
        checks.check("RETURNING", [row[:2] for row in got] == [("1", "1"), ("2", "2"), ("3", "3")], got)
        same("INSERT")
        got = a.query("insert into r (id, u) values (1, 5), (4, 40) on conflict (id) do update set v = 'conflict' "
                      "returning id")[-1]
        checks.check("ON CONFLICT", (got.tag, got.rows) == ("INSERT 0 2", [("1",), ("4",)]), got)
        same("ON CONFLICT")
        a.query("update r set u = u + 1000")
        a.query("begin")
        a.query("update r set u = -1 where id = 1")
        a.query("update r set u = 1010 where id = 2")
        a.query("savepoint x")
        a.query("delete from r where id = 3")
        a.query("rollback to x")
        a.query("update r set u = 1020 where id = 1")
        a.query("insert into child values (1, 1), (2, 2)")
        checks.check("a block sees its own", a.query("select count(*) from child")[-1].rows == [("2",)])
        a.query("commit")
        same("a block that changes two unique keys for each other")
        a.query("update r set id = 11 where id = 1")
        same("a key that changes, with those who refer to it")
        a.query("delete from r where id = 2")
        same("a cascade")
        before = rows(cluster.shards[0], NUMBER)
        a.query("begin")
        a.query("insert into r (id) values (77)")
        a.query("rollback")
        a.query("update r set v = 'nobody' where id = 12345")
        a.query("begin")
        a.query("insert into r (id) values (78)")
        a.query("delete from r where id = 78")
        a.query("commit")
        checks.check("what changes nothing has no number", rows(cluster.shards[0], NUMBER) == before)
        got = a.execute("insert into r (id, u, v) values ($1, $2, $3) returning v", ["20", "7", "extended"])
        checks.check("the extended protocol", got.rows == [("extended",)], got)
        same("the extended protocol")
        a.query("begin isolation level serializable")
        a.query("select sum(u) from r")
        a.query("update r set v = 'serializable' where id = 20")
        a.query("commit and chain")
        a.query("update r set v = v || '!' where id = 20")
        a.query("commit")
        same("COMMIT AND CHAIN")
        a.copy_in("copy child (id) from stdin", b"".join(b"%d\n" % i for i in range(100, 200)))
        same("COPY")
        big = b"".join(b"%d\t%s\n" % (i, b"x" * 1000) for i in range(1000, 3000))
        a.copy_in("copy r (id, v) from stdin", big)
        pieces = rows(cluster.shards[0], "select count(*) from generate_series(0, 9) p where "
                      f"tusk_replicated_entry({rows(cluster.shards[0], NUMBER)[0][0]}, p) is not null")
        same("COPY of two megabytes")
        a.query("begin")
        a.copy_in("copy child (id) from stdin", b"500\n501\n")
        a.query("delete from child where id = 500")
        a.query("commit")
        same("COPY in a block")
        checks.check("which is in pieces", pieces[0][0] in "056", pieces)   # "0": forgotten already
        a.query("truncate child")
        a.query("insert into child select i from generate_series(1, 5) i")
        same("TRUNCATE")
        a.query("alter table r add column w int default 4")
        a.query("update r set w = w + id where id < 100")
        a.query("alter table r drop column f")
        a.query("alter table r rename v to words")
        a.query("update r set words = 'renamed' where id = 11")
        a.query("alter table child rename to children")
        a.query("delete from children where id = 3")
        a.query("alter table children rename to child")
        same("changes of the schema between")
        for sql in ("alter table r add column z float8 default random()", "alter table r add column z serial",
                    "alter table r add column z timestamptz default now()",
                    "alter table r alter column words type text using words || random()"):
            state = sqlstate(lambda s=sql: a.query(s))
            checks.check(f"refused, not to differ from node to node: {sql}", state == "0A000", state)
        same("and nothing of that is left")
        for sql, number in (("insert into bare values (1)", 11), ("insert into r (id) select id from s", 11),
                            ("delete from r using s where s.id = r.id and s.id = 3", 11)):
            try:
                a.query(sql)
                found = None
            except pgwire.Error as error:
                found = error.detail
            where = rows(cluster.shards[0], "select count(*) from s where id = 3")[0][0]
            checks.check(f"refused: {sql}", (found or "").startswith(f"Reason {number} ") or
                         (number == 11 and "s.id = 3" in sql and where == "1"), found)
        a.query("create table refers (id int primary key, r int references r) shard by hash (id) buckets 8")
        a.query("insert into refers select 1, 11")
        for sql in ("delete from r where id = 11", "update r set id = 12 where id = 11"):
            try:
                a.query(sql)
                found = None
            except pgwire.Error as error:
                found = error.detail
            checks.check(f"refused while a sharded table refers to it: {sql}", found and "Reason 20 " in found, found)
        a.query("update r set words = 'other columns' where id = 11")
        a.query("drop table refers")
        same("beside a foreign key of a sharded table")
        a.query("begin")
        a.query("set local tusk.idempotency_key = 'once'")
        a.query("update r set w = w + 1 where id = 11")
        a.query("commit")
        before = rows(cluster.shards[0], NUMBER)
        a.query("begin")
        a.query("set local tusk.idempotency_key = 'once'")
        got = a.query("update r set w = w + 1 where id = 11")[-1].tag
        a.query("commit")
        checks.check("a key's second transaction changes nothing", (got, rows(cluster.shards[0], NUMBER)) ==
                     ("UPDATE 1", before), got)
        same("a key")
    for sql in ("insert into r (id) values (9)", "delete from child"):
        state = sqlstate(lambda s=sql: rows(cluster.shards[1], s))
        checks.check(f"not past the router: {sql}", state == "0A000", state)
    forgotten = wait_for(lambda: rows(cluster.shards[0], "select count(*) from generate_series(1, 1000) v where "
                                      "tusk_replicated_entry(v, 0) is not null") == [("0",)])
    checks.check("what all nodes have is forgotten", forgotten)


def place(cluster, node):
    """A value of s.id whose rows are on the node."""
    return rows(cluster.shards[node], "select min(id) from s")[0][0]


def away(checks, cluster, second):
    """A node that is away: its client is told, and no router reads its old rows."""
    third = cluster.shards[2]
    here = place(cluster, 2)
    joined = f"select c.v from s, c where s.id = {here}"
    with connect(second) as a, connect(cluster.router) as b:
        a.query("create table c (k int primary key, v int) replicated")
        a.query("insert into c values (1, 0)")
        wait_for(lambda: b.query("select v from c"))   # it has heard of the table
        got = [x.query(joined)[-1].rows for x in (a, b)]
        checks.check("what was answered is seen by both routers", got == [[("0",)]] * 2, got)
        for extended in (False, True):
            third.kill()
            state, words = None, ""
            start = time.monotonic()
            try:
                (a.execute if extended else a.query)("update c set v = v + 1")
            except pgwire.Error as error:
                state, words = error.sqlstate, error.message
            took = time.monotonic() - start
            checks.check("the client is told in time", state == "TR007" and "n3" in words and took < 5,
                         f"{state} {words} {took}")
            state = sqlstate(lambda: a.query("begin") and a.query("update c set v = v + 1") and a.query("commit"))
            checks.check("likewise by COMMIT", state == "TR007", state)
            a.query("alter table c add column more int default 3")
            state = sqlstate(lambda: a.query("update c set v = v + 1, more = more + v"))
            checks.check("and behind a change of the schema", state == "TR007", state)
            seen = b.query("select c.v from c, s where s.id = " + place(cluster, 0))[-1].rows
            third.start()
            with connect(cluster.router) as d:
                got = [d.query(joined)[-1].rows]
            got += [a.query(joined)[-1].rows, b.execute(joined).rows,
                    b.query("select min(c.v) from c, s")[-1].rows]
            checks.check("what one statement has seen the next one sees, wherever it is", got == [seen] * 4,
                         f"{seen} {got}")
            checks.check("copies are equal again", wait_for(lambda: equal(cluster, "c")), copies(cluster, "c"))
            a.query("alter table c drop column more")
        cluster.shards[0].kill()
        state = sqlstate(lambda: a.query("update c set v = v + 1"))
        got = [x.query(joined)[-1].rows for x in (a, b)]
        checks.check("without the first node they are read, not changed", state in ("08001", "08007", "lost") and
                     got == [[("6",)]] * 2, f"{state} {got}")
        cluster.shards[0].start()
        checks.check("which is over when it is back", wait_for(lambda: a.query("update c set v = v + 1")))


def between(checks, cluster, patient):
    """The router dies when the change is committed on the first node and not on the others."""
    def change():
        try:
            with connect(patient) as a:
                a.query("update c set v = v + 100")
        except (pgwire.Error, pgwire.ConnectionLost, OSError):
            pass

    known = connect(patient)   # it has heard of the last definition; else it would ask the nodes that are stopped
    wait_for(lambda: known.query("update c set v = v + 1"))
    known.close()
    before = rows(cluster.shards[0], "select v from c")
    stopped = cluster.shards[1:]
    for shard in stopped:
        shard.process.send_signal(signal.SIGSTOP)
    thread = threading.Thread(target=change)
    thread.start()
    there = wait_for(lambda: rows(cluster.shards[0], "select v from c") != before)
    checks.check("it is committed on the first node", there)
    patient.kill()
    thread.join()
    for shard in stopped:
        shard.process.send_signal(signal.SIGCONT)
    checks.check("another router carries it on", wait_for(lambda: equal(cluster, "c")), copies(cluster, "c"))
    patient.start()


class Storm:
    """Writers to the same rows through two routers, readers, and nodes that are killed."""

    def __init__(self, cluster, routers, seed):
        self.cluster, self.routers = cluster, routers
        self.random = random.Random(seed)
        self.stop = threading.Event()
        self.wrong, self.acknowledged, self.done, self.read = [], [0] * 8, [0] * 8, 0
        self.partly = 0

    def writer(self, me):
        chance = random.Random(me + self.random.random())
        last = self.acknowledged[me]
        while not self.stop.is_set():
            try:
                with connect(self.routers[me % 2]) as c:
                    while not self.stop.is_set():
                        last += 1
                        if chance.random() < 0.3:
                            c.query("begin")
                            c.query(f"update w set v = {last} where k = {me}")
                            c.query(f"update total set v = v + 1, last = {me * 1000000 + last}")
                            c.query("commit")
                        elif chance.random() < 0.5:
                            c.query(f"with x as (select 1) update w set v = {last} where k = {me}")
                        else:
                            c.execute("update w set v = $1 where k = $2", [str(last), str(me)])
                        self.acknowledged[me] = last
                        self.done[me] += 1
            except pgwire.Error as error:
                self.partly += error.sqlstate == "TR007"
                if error.sqlstate not in AGAIN + ("TR007", "08001", "08007", "08006", "57P01", "25P02"):
                    self.wrong.append(str(error))
            except (pgwire.ConnectionLost, OSError):
                pass
            time.sleep(0.01)

    def reader(self, me):
        newest = [0] * 8
        while not self.stop.is_set():
            try:
                with connect(self.routers[me % 2]) as c:
                    newest = [0] * 8   # another connection may go on where less was known
                    while not self.stop.is_set():
                        promised = list(self.acknowledged)
                        key = self.random.randrange(32)
                        if me % 3 == 0:   # from all nodes, at one moment
                            sql = "select w.k, min(w.v), max(w.v), count(*) from w, s where w.k < 8 group by w.k"
                        else:
                            sql = f"select w.k, w.v, w.v, 32 from w, s where s.id = {key}"
                        for k, low, high, count in c.query(sql)[-1].rows:
                            k, low, high = int(k), int(low), int(high)
                            self.read += 1
                            if low != high or count != "32":
                                self.wrong.append(f"two versions in one query: {k} {low} {high} {count}")
                            if low < promised[k]:
                                self.wrong.append(f"older than what was answered: {k} {low} < {promised[k]}")
                            if low < newest[k]:
                                self.wrong.append(f"back in time: {k} {low} < {newest[k]}")
                            newest[k] = max(newest[k], low)
            except pgwire.Error as error:
                if error.sqlstate not in AGAIN + ("08001", "08007", "08006", "57P01"):
                    self.wrong.append(str(error))
            except (pgwire.ConnectionLost, OSError):
                pass
            time.sleep(0.01)

    def busy(self):
        return min(self.done[:4]) > 1 and self.read > 100

    def run(self, seconds, kill):
        threads = [threading.Thread(target=self.writer, args=(i,)) for i in range(4)]
        threads += [threading.Thread(target=self.reader, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end or (not self.busy() and time.monotonic() < end + 30):
            time.sleep(self.random.uniform(0.05, 0.4))
            if kill:
                node = self.random.choice(self.cluster.shards)
                if self.random.random() < 0.5:
                    node.kill()
                    node.start()
                else:
                    node.process.send_signal(signal.SIGSTOP)
                    time.sleep(self.random.uniform(0.02, 0.8))
                    node.process.send_signal(signal.SIGCONT)
        self.stop.set()
        for thread in threads:
            thread.join()


def storm(checks, cluster, second, seconds, seed):
    with connect(cluster.router) as a:
        # the first node was killed before: a connection to it may be lost
        wait_for(lambda: a.query("create table if not exists w (k int primary key, v int) replicated"))
        a.query("create table total (id int primary key, v int, last int) replicated")
        a.query("insert into w select i, 0 from generate_series(0, 7) i")
        a.query("insert into total values (1, 0, 0)")
    with connect(second) as b:
        wait_for(lambda: b.query("select v from total"))   # it has heard of both tables
    for kill in (False, True):
        one = Storm(cluster, (cluster.router, second), seed)
        one.acknowledged = [int(v) for _, v in rows(cluster.shards[0], "select k, v from w order by k")]
        fourth = None
        if not kill:   # a node comes meanwhile
            fourth = cluster.new_shard("n4").start()
            thread = threading.Thread(target=one.run, args=(seconds, kill))
            thread.start()
            time.sleep(seconds / 3)
            with connect(cluster.router) as a:
                state = sqlstate(lambda c=a: c.query(f"alter cluster add node n4 '127.0.0.1:{fourth.port}'"))
            checks.check("a node comes amid changes", state is None, state)
            thread.join()
            cluster.shards.append(fourth)
        else:
            one.run(seconds, kill)
        same = wait_for(lambda: equal(cluster, "w", "total"))
        what = "under kill -9 and SIGSTOP" if kill else "and a node that comes"
        checks.check(f"copies are equal behind writers {what}", same, copies(cluster, "w", "total"))
        checks.check(f"what readers see, {what}", not one.wrong, one.wrong[:5])
        checks.check(f"all of them do something, {what}", one.busy(),
                     f"{one.done} {one.read} {one.partly}")
        print(f"storm {what}: {sum(one.done)} changes answered, {one.partly} not everywhere, {one.read} rows read")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default="release")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    checks = Checks()
    with Cluster(options.build, arguments=PATIENT) as cluster:
        statements(checks, cluster)
        with cluster.new_router(HASTY) as second, cluster.new_router() as patient:
            away(checks, cluster, second)
            between(checks, cluster, patient)
            storm(checks, cluster, second, options.seconds, options.seed)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
