#!/usr/bin/env python3
"""Two or three clients step by step, on PostgreSQL 15 and on Tusk: every answer, every wait and the
table in the end must be the same.

    tests/system/interleavings.py [--seed N] [--random N] [--build release]
                                  [--tusk-port N] [--postgres-port N]

First come the scenarios below, then random ones of two clients on single rows. Who dies of a deadlock
may differ (PostgreSQL lets the first one who has waited for a second find out), so a random scenario
with one in it is not compared. Nor one where Tusk says at once that a unique key is taken by a row that
somebody is updating without touching that key, which PostgreSQL waits to see the end of.
"""
import argparse
import os
import queue
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
import postgres
from server import Checks, Server

SETUP = ("drop table if exists t",
         "create table t(id int primary key, v int, u int unique, w int)",
         "create index t_w on t(w)",
         "insert into t select g, g * 10, g * 100, g % 3 from generate_series(1, 6) g")

RR = "begin isolation level repeatable read"

# (client, statement); what waits is asked again after every step.
SCENARIOS = (
    # READ COMMITTED judges the newest version again
    "a begin; a update t set v=v+1 where id=1; b update t set v=v+5 where id=1 returning *; a commit",
    "a begin; a update t set v=v+1 where id=1; b update t set v=v+5 where id=1 returning *; a rollback",
    "a begin; a update t set w=9 where id=1; b update t set v=v+5 where w=1 returning *; a commit",
    "a begin; a update t set w=9, u=u+1 where id=1; b update t set w=w+5, u=u+7 where id<3 returning *;"
    " a commit; a select * from t where w=14; a select * from t where u=108",
    "a begin; a delete from t where id=1; b update t set v=v+5 where id=1 returning *; a commit",
    "a begin; a delete from t where id=1; b update t set v=v+5 where id=1 returning *; a rollback",
    "a begin; a update t set u=u+1, w=w+1 where id=2; b delete from t where id=2 returning *; a commit;"
    " a select * from t where u=201",
    "a begin; a update t set v=0 where id=2; b delete from t where v=20 returning *; a commit",
    "a begin; a update t set v=100 where id=3; a select 1;"
    " b update t set v=s.v from (select id, v from t) s where s.id=t.id and t.v<50 returning t.id, t.v;"
    " a commit",
    "a begin; a update t set v=100 where id=3; b update t x set w=y.v from t y"
    " where y.id=x.id+1 and x.v<60; a commit",
    "a begin; a update t set v=v+1; b update t set v=v*2; a update t set v=v+1; a commit",
    # a snapshot of the whole transaction
    f"a {RR}; a select 1 from t; b update t set v=0 where id=1; a update t set v=1 where id=1; a rollback",
    f"a {RR}; a select 1 from t; b delete from t where id=1; a update t set v=1 where id=1; a rollback",
    f"a {RR}; a select count(*) from t; b insert into t values (9, 9, 9, 9); a select count(*) from t;"
    " a commit",
    f"a {RR}; a select 1; b update t set w=7, u=7 where id=1; a select * from t where w=1 order by id;"
    " a select * from t where u=100; a select * from t where u=7; a commit; a select * from t where u=7",
    # unique keys
    "a begin; a insert into t values (7, 1, 1, 1); b insert into t values (7, 2, 2, 2); a commit",
    "a begin; a insert into t values (7, 1, 1, 1); b insert into t values (7, 2, 2, 2); a rollback",
    "a begin; a insert into t values (7, 1, 77, 1); b insert into t values (8, 2, 77, 2); a commit",
    "a begin; a update t set u=900 where id=1; b insert into t values (8, 2, 100, 2); a commit",
    "a begin; a update t set u=900 where id=1; b insert into t values (8, 2, 100, 2); a rollback",
    "a begin; a delete from t where id=1; b insert into t values (1, 2, 100, 2); a commit",
    "a begin; a update t set id=50 where id=1; b select * from t where id=50; a commit;"
    " b select * from t where u=100",
    "a update t set u=null where id<4; a insert into t values (7, 1, null, 1); a select count(*) from t",
    # row locks
    "a begin; a select * from t where id=1 for update; b select * from t where id=1 for share;"
    " a update t set v=77 where id=1; a commit",
    "a begin; a select * from t where id=1 for update; b select * from t where id=1 for update nowait;"
    " b select id from t order by id for update skip locked limit 2; a commit",
    "a begin; a update t set w=5 where id=1; b select * from t where w=1 order by id for update; a commit",
    "a begin; a select * from t where id=1 for key share; b update t set v=1 where id=1; a commit",
    "a begin; a select * from t where id=1 for share; b begin; b select * from t where id=1 for share;"
    " c update t set v=5 where id=1; a commit; b commit",
    # one's own changes, and savepoints
    "a begin; a savepoint s; a update t set w=8, u=8 where id=1; a rollback to s;"
    " b update t set w=7, u=7 where id=1; a commit; b select * from t where w=7",
    "a update t set id=id+1 where id=6; a update t set id=id+1; a update t set id=id+10;"
    " a update t set id=id-1 where id>12 returning id",
    "a begin; a update t set u=u+1; a update t set u=u+1; a delete from t where id=1;"
    " a insert into t values (1, 1, 102, 1); a update t set u=u-2, w=w+1 returning *; a commit;"
    " a select id from t where u=200; a select id from t where w=1 order by id",
    "a insert into t select id+6, v, u+10000, w from t; a select count(*) from t;"
    " a delete from t using (values (7), (7), (8)) x(i) where t.id=x.i returning t.id;"
    " a update t set v=v+1 from (values (1), (2)) x(i) where t.id=1",
)


class Client(threading.Thread):
    def __init__(self, port):
        super().__init__(daemon=True)
        self.connection = pgwire.connect(port=port)
        self.todo, self.done = queue.Queue(), queue.Queue()
        self.busy = False
        self.start()

    def run(self):
        while (text := self.todo.get()) is not None:
            try:
                results = self.connection.query(text)
                self.done.put([(r.tag, sorted(map(tuple, r.rows), key=repr)) for r in results])
            except pgwire.Error as error:
                self.done.put(("error", error.sqlstate, error.message))

    def answer(self, seconds):
        try:
            result = self.done.get(timeout=seconds)
            self.busy = False
            return result
        except queue.Empty:
            return None

    def end(self):
        self.todo.put(None)
        self.connection.close()


def run(port, steps, wait):
    """What happened, in order, and the table in the end."""
    main = pgwire.connect(port=port)
    for statement in SETUP:
        main.query(statement)
    clients, log = {}, []

    def poll(name, seconds):
        result = clients[name].answer(seconds)
        if result is not None:
            log.append((name, result))
        return result is not None

    for name, text in steps:
        if name not in clients:
            clients[name] = Client(port)
        if clients[name].busy:
            log.append((name, "still waits, not asked", text))
            continue
        clients[name].todo.put(text)
        clients[name].busy = True
        if not poll(name, wait):
            log.append((name, "waits"))
        for other in sorted(clients):
            if clients[other].busy and other != name:
                poll(other, wait / 2)
    for name in sorted(clients):
        if clients[name].busy and not poll(name, 3):
            log.append((name, "stuck"))
    for client in clients.values():
        client.end()
    rows = main.query("select * from t order by id")[0].rows
    by_index = main.query("select id from t where w >= -1000 order by id")[0].rows
    main.close()
    return log, [tuple(row) for row in rows], [tuple(row) for row in by_index]


def parse(text):
    return [tuple(step.strip().split(" ", 1)) for step in text.split(";")]


def random_statement(rng):
    key, number = rng.randint(1, 7), rng.randint(0, 9)
    return rng.choice((
        f"update t set v = v + {number} where id = {key} returning *",
        f"update t set w = {number}, v = v + 1 where id = {key} and w <> {number} returning *",
        f"update t set u = {number * 100} where id = {key}",
        f"update t set u = null, w = null where id = {key} and v > 20",
        f"delete from t where id = {key} returning *",
        f"delete from t where id = {key} and v > {number * 6}",
        f"insert into t values ({key}, {number}, {number * 100}, {number % 3})",
        f"insert into t values ({key + 3}, {number}, null, {number % 3})",
        f"select * from t where id = {key} for update",
        f"select * from t where id = {key} and w = {number % 3} for share",
        f"select * from t where id = {key} for no key update skip locked",
        f"select * from t where id = {key} for key share",
        f"select * from t where u = {number * 100}",
        f"select * from t where w = {number % 3}",
        "select count(*), sum(v) from t"))


def random_steps(rng):
    steps = []
    for name in "ab":
        steps.append((name, rng.choice(("begin", "begin", RR, "select 1"))))
    for _ in range(rng.randint(4, 12)):
        name = rng.choice("ab")
        steps.append((name, rng.choice(("commit", "rollback", "begin")) if rng.random() < 0.15
                      else random_statement(rng)))
    for name in rng.sample("ab", 2):
        steps.append((name, rng.choice(("commit", "commit", "rollback"))))
    return steps


def knows_sooner(logs):
    for ours, theirs in zip(logs[1], logs[0]):
        if ours != theirs:
            return theirs[1] == "waits" and ours[1][:2] == ("error", "23505")
    return False


def compare(checks, what, steps, ports, wait, is_random):
    results = [run(port, steps, wait) for port in ports]
    if is_random and any("40P01" in repr(log) for log, _, _ in results):
        return
    if is_random and knows_sooner([result[0] for result in results]):
        return
    if results[0] != results[1]:
        # A slow machine may have answered too late once; what really differs differs again.
        results = [run(port, steps, wait * 4) for port in ports]
    detail = "\n".join(["", *(f"  {name}: {text}" for name, text in steps),
                        f"PostgreSQL {results[0]}", f"Tusk       {results[1]}"])
    checks.check(what, results[0] == results[1], detail)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random", type=int, default=40, help="how many random scenarios")
    parser.add_argument("--build", default="release")
    parser.add_argument("--wait", type=float, default=0.15, help="seconds until a client counts as waiting")
    parser.add_argument("--tusk-port", type=int, help="of a running server, instead of starting one")
    parser.add_argument("--postgres-port", type=int)
    options = parser.parse_args()
    if not postgres.INSTALLED and not options.postgres_port:
        print("skipped: PostgreSQL 15 is not installed")
        print("0 passed, 0 failed")
        return 0
    checks, started = Checks(), []
    try:
        if not options.postgres_port:
            started.append(postgres.Postgres({"fsync": "off"}).start())
            options.postgres_port = started[-1].port
        if not options.tusk_port:
            started.append(Server(options.build).start())
            options.tusk_port = started[-1].port
        ports = (options.postgres_port, options.tusk_port)
        for number, text in enumerate(SCENARIOS):
            compare(checks, f"scenario {number}", parse(text), ports, options.wait, False)
        for seed in range(options.seed, options.seed + options.random):
            steps = random_steps(random.Random(seed))
            compare(checks, f"seed {seed}", steps, ports, options.wait, True)
    finally:
        for one in started:
            one.__exit__()
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
