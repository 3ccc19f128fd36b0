#!/usr/bin/env python3
"""Bank transfers as sagas, under kill -9 at random: sums hold, every saga ends or is listed, each
step takes effect at most once, and a client that repeats its START with its key gets one saga.

    tests/system/saga.py [--build release] [--rounds 3] [--seconds 1.0] [--seed N]

Also: NOTIFY of stuck ones, roles, expiry, what docs/sagas.md shows.
"""
import argparse
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import ROOT, Checks, Server

ACCOUNTS, BALANCE = 20, 200

# Some steps fail for good (no money), some now and then (a row of `fail` says so), and one behind
# the pivot too. `effect` has a row for whatever was done or undone.
DEFINITION = """
CREATE SAGA transfer (p_key text, p_from int, p_to int, p_amount int)
  STEP take ON account (id => p_from)
    DO $$ UPDATE account SET balance = balance - p_amount WHERE id = p_from;
          INSERT INTO effect VALUES (p_key, 'take', 1) $$
    UNDO $$ UPDATE account SET balance = balance + p_amount WHERE id = p_from;
            INSERT INTO effect VALUES (p_key, 'take', -1) $$
  STEP give ON account (id => p_to)
    DO $$ UPDATE account SET balance = balance + p_amount WHERE id = p_to $$
    UNDO AUTO
  STEP decide ON decision (p_key)
    DO $$ INSERT INTO decision SELECT p_key, 1 / (p_amount % 7);
          INSERT INTO effect VALUES (p_key, 'decide', 1) $$
    PIVOT
  STEP tell ON told (p_key)
    DO $$ INSERT INTO told VALUES (p_key, p_from, p_to, p_amount) $$
    RETRIABLE
"""


class Client(threading.Thread):
    def __init__(self, number, server, seed):
        super().__init__()
        self.number, self.server, self.random = number, server, random.Random(seed)
        self.answers, self.repeats, self.stop, self.unexpected = {}, 0, False, None

    def run(self):
        number = 0
        try:
            while not self.stop:
                number += 1
                self.one(f"{self.number}.{number}")
        except Exception as error:  # pylint: disable=broad-except
            self.unexpected = repr(error)

    def one(self, key):
        a, b = self.random.sample(range(ACCOUNTS), 2)
        amount = self.random.randint(1, 80)
        wait = " WAIT" if self.random.random() < 0.7 else ""
        connection = None
        while True:
            try:
                connection = connection or pgwire.connect(port=self.server.port, timeout=60)
                row = connection.rows(
                    f"START SAGA transfer ('{key}', {a}, {b}, {amount}) WITH KEY '{key}'{wait}")[0]
                first = self.answers.setdefault(key, row)
                if first[0] != row[0]:
                    raise AssertionError(f"{key} has two sagas")
                self.answers[key] = row
                if self.random.random() < 0.9:
                    break
                self.repeats += 1
            except pgwire.Error as error:
                if error.sqlstate not in ("57P01", "57P03", "40001", "40P01"):
                    raise
                connection = None
                time.sleep(0.02)
            except (ConnectionError, OSError):
                connection = None
                self.repeats += 1
                time.sleep(0.02)
        connection.close()


def settle(connection):
    """Until no saga has anything to do. One may be stuck: what it gave was spent by another, and the
    CHECK forbids to take it back. Then everybody gets some money, and it is told to try again."""
    extra, until = 0, time.monotonic() + 60
    while time.monotonic() < until:
        if connection.rows("select 1 from tusk_sagas where state in ('running', 'compensating') limit 1"):
            time.sleep(0.05)
            continue
        stuck = connection.rows("select saga from tusk_sagas where state = 'stuck'")
        if not stuck:
            break
        connection.query("update account set balance = balance + 1000")
        extra += 1000
        for row in stuck:
            connection.query(f"alter saga instance {row[0]} retry")
    return extra


def judge(checks, connection, clients):
    extra = settle(connection)
    total = int(connection.rows("select sum(balance) from account")[0][0])
    checks.check("total", total == ACCOUNTS * (BALANCE + extra), f"is {total}")
    sagas = {row[0]: row[1] for row in connection.rows("select key, state from tusk_sagas")}
    states = {}
    for state in sagas.values():
        states[state] = states.get(state, 0) + 1
    checks.check("all have ended", set(states) <= {"completed", "compensated"}, f"{states}")
    started = {key for client in clients for key in client.answers}
    checks.check("all that were acknowledged, and no others", started == set(sagas),
                 f"{len(started ^ set(sagas))} differ")
    effects = {}
    for key, step, count, total in connection.rows(
            "select key, step, count(*), sum(change) from effect group by 1, 2"):
        effects[key, step] = int(count), int(total)
    told = {row[0]: int(row[1]) for row in connection.rows(
        "select key, count(*) from told group by 1")}
    wrong = []
    for key, state in sagas.items():
        take, decide = effects.get((key, "take"), (0, 0)), effects.get((key, "decide"), (0, 0))
        good = {"completed": take == (1, 1) and decide == (1, 1) and told.get(key) == 1,
                "compensated": take in ((0, 0), (2, 0)) and decide == (0, 0) and key not in told}
        if not good[state]:
            wrong.append((key, state, take, decide, told.get(key)))
    checks.check("each effect at most once, all or nothing", not wrong, f"{wrong[:5]}")
    balances = [BALANCE + extra] * ACCOUNTS
    for _, a, b, amount in connection.rows("select * from told"):
        balances[int(a)] -= int(amount)
        balances[int(b)] += int(amount)
    found = {int(i): int(b) for i, b in connection.rows("select id, balance from account")}
    checks.check("balances are those of what was told",
                 all(found[i] == balances[i] for i in range(ACCOUNTS)))
    lied = [key for client in clients for key, row in client.answers.items()
            if row[1] in ("completed", "compensated") and row[1] != sagas.get(key)]
    checks.check("no answer was taken back", not lied, f"{lied[:5]}")
    return states


def crashes(checks, server, options):
    chance = random.Random(options.seed)
    with pgwire.connect(port=server.port) as connection:
        connection.query("create table account (id int primary key, balance int not null"
                         " check (balance >= 0))")
        connection.query(f"insert into account select i, {BALANCE}"
                         f" from generate_series(0, {ACCOUNTS - 1}) i")
        connection.query("create table effect (key text, step text, change int)")
        connection.query("create table decision (key text primary key, n int)")
        connection.query("create table told (key text, a int, b int, amount int)")
        connection.query(DEFINITION)
    clients = [Client(i, server, chance.random()) for i in range(8)]
    for client in clients:
        client.start()
    for _ in range(options.rounds):
        time.sleep(chance.uniform(0.2, options.seconds))
        if chance.random() < 0.5:
            try:
                pgwire.connect(port=server.port).query("checkpoint")
            except (ConnectionError, OSError, pgwire.Error):
                pass
        server.kill()
        server.start()
    time.sleep(0.3)
    for client in clients:
        client.stop = True
    for client in clients:
        client.join()
        checks.check("no unexpected error", client.unexpected is None, client.unexpected)
    with pgwire.connect(port=server.port) as connection:
        states = judge(checks, connection, clients)
        epoch = connection.rows("select max(epoch), min(epoch) from tusk_saga_steps")[0]
        checks.check("each start has its epoch", int(epoch[0]) > int(epoch[1]) or not options.rounds,
                     f"{epoch}")
    print(f"{states}, {sum(client.repeats for client in clients)} starts repeated")
    checks.check("work was done both ways", len(states) == 2 and min(states.values()) > 3, f"{states}")


def stuck_and_roles(checks, port):
    with pgwire.connect(port=port) as boss, pgwire.connect(port=port) as listener:
        boss.query("create role clerk login")
        boss.query("create table paper (id int primary key, n int)")
        boss.query("create table ink (id int primary key)")
        boss.query("insert into paper values (1, 0); grant all on paper to clerk")
        boss.query("create saga write (p int) step one on paper (1) do 'update paper set n = n + 1'"
                   " undo auto step two on ink (1) do 'insert into ink values (p)' pivot")
        boss.query("create saga must (p int) step one on paper (1) do 'update paper set n = n + 1'"
                   " pivot step two on ink (1) do 'insert into ink values (p)' retriable retry 2"
                   " backoff '1ms'")
        listener.query("listen tusk_saga_stuck")
        with pgwire.connect(port=port, user="clerk") as clerk:
            row = clerk.rows("start saga write (1) wait")[0]
            checks.check("a saga has its starter's rights", row[1] == "compensated" and
                         row[2].startswith("42501"), f"{row}")
            row = clerk.rows("start saga must (1) with key 'm' wait")[0]
            checks.check("it is stuck", row[1] == "stuck", f"{row}")
            checks.check("each sees his own", len(clerk.rows("select * from tusk_sagas")) == 2)
            number = row[0]
            boss.query("create role other login")
            with pgwire.connect(port=port, user="other") as other:
                checks.check("others do not see it", not other.rows("select * from tusk_sagas"))
                try:
                    other.query(f"alter saga instance {number} retry")
                    checks.check("others may not change it", False)
                except pgwire.Error as error:
                    checks.check("others may not change it", error.sqlstate == "42501", str(error))
            heard = []
            until = time.monotonic() + 20
            while time.monotonic() < until and not heard:
                listener.query("select 1")
                heard = [body[4:].split(b"\0")[:2] for body in listener.notifications]
                time.sleep(0.05)
            checks.check("it was notified", heard == [[b"tusk_saga_stuck", number.encode()]],
                         f"{heard}")
            boss.query("grant all on ink to clerk")
            boss.query(f"alter saga instance {number} retry")
            row = clerk.rows("start saga must (1) with key 'm' wait")[0]
            checks.check("it was helped", row[1] == "completed", f"{row}")
        # A pause in the middle, and back.
        boss.query("create saga nap () step one on paper (1) do 'select pg_sleep(0.5)' undo 'select 1'"
                   " step two on paper (1) do 'select pg_sleep(0.2)' pivot")
        number = boss.rows("start saga nap ()")[0][0]
        time.sleep(0.1)
        boss.query(f"alter saga instance {number} pause")
        state = boss.rows(f"select state, step from tusk_sagas where saga = {number}")[0]
        checks.check("it is paused between steps", state == ("paused", "two"), f"{state}")
        boss.query(f"alter saga instance {number} compensate")
        until = time.monotonic() + 20
        while time.monotonic() < until and state[0] != "compensated":
            time.sleep(0.05)
            state = boss.rows(f"select state from tusk_sagas where saga = {number}")[0]
        checks.check("it was taken back", state == ("compensated",), f"{state}")


def settled(checks, build, seconds):
    """Readers of settled rows beside transfers, each pair of accounts one transfer at a time: the sum
    is always the same, and a saga is seen whole or not at all. Others see sums that are wrong."""
    with Server(build, ["--checkpoint-log", "4MB"]) as server:
        with pgwire.connect(port=server.port) as connection:
            connection.query("create table pair (id int primary key, balance int not null, note int)")
            connection.query("insert into pair select i, 100, 0 from generate_series(0, 19) i")
            connection.query("create table log (id int primary key)")
            connection.query(
                "create saga move (p_id int, a int, b int)"
                " step take on pair (a) do $$ update pair set balance = balance - 7, note = p_id"
                "   where id = a; insert into log values (p_id) $$ undo auto"
                " step give on pair (b) do $$ update pair set balance = balance + 7, note = p_id"
                "   where id = b $$ undo auto"
                " step decide on pair (a) do $$ select 1 / (p_id % 3) $$ pivot")
        stop, wrong, reads, sums = threading.Event(), [], [0, 0], set()

        def move(number):
            with pgwire.connect(port=server.port) as connection:
                at = 0
                while not stop.is_set():
                    at += 1
                    connection.rows(f"start saga move ({at * 16 + number}, {2 * number},"
                                    f" {2 * number + 1}) wait")

        def read(number):
            with pgwire.connect(port=server.port) as connection:
                connection.query("set tusk.saga_reads = settled")
                while not stop.is_set():
                    connection.query("begin isolation level "
                                     + ("repeatable read" if number else "read committed"))
                    rows = connection.rows("select id, balance, note from pair order by id")
                    logged = {int(row[0]) for row in connection.rows("select id from log")}
                    connection.query("commit")
                    reads[number] += 1
                    if sum(int(row[1]) for row in rows) != 2000:
                        wrong.append(("sum", rows))
                    for a, b in zip(rows[::2], rows[1::2]):
                        if a[2] != b[2] or (number and a[2] != "0" and int(a[2]) not in logged):
                            wrong.append((a, b))

        def look():
            with pgwire.connect(port=server.port) as connection:
                while not stop.is_set():
                    sums.add(connection.rows("select sum(balance) from pair")[0][0])

        threads = [threading.Thread(target=move, args=(i,)) for i in range(10)]
        threads += [threading.Thread(target=read, args=(i,)) for i in range(2)]
        threads += [threading.Thread(target=look)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        checks.check("settled reads see whole sagas", not wrong, f"{len(wrong)}: {wrong[:1]}")
        checks.check("others do not", len(sums) > 1, f"{sums}")
        checks.check("there were readers", min(reads) > 10, f"{reads}")
        # From before a crash: what was is not known until the saga has ended.
        with pgwire.connect(port=server.port) as connection:
            connection.query("create saga hang () step one on pair (1) do 'update pair set note = 1'"
                             " pivot step two on pair (1) do 'select 1 / 0' retriable retry 1")
            number = connection.rows("start saga hang () wait")[0][0]
        server.kill()
        server.start()
        with pgwire.connect(port=server.port) as connection:
            connection.query("set tusk.saga_reads = settled")
            try:
                connection.rows("select * from pair")
                checks.check("after a crash", False)
            except pgwire.Error as error:
                checks.check("after a crash", error.sqlstate == "TS011", str(error))
            connection.query(f"alter saga instance {number} skip step two")
            until, rows = time.monotonic() + 20, None
            while time.monotonic() < until and rows is None:
                try:
                    rows = connection.rows("select * from pair")
                except pgwire.Error:
                    time.sleep(0.02)
            checks.check("and when it has ended", rows is not None and len(rows) == 20)


def expiry(checks, build):
    with Server(build, ["-c", "tusk.saga_history=1s"]) as server:
        with pgwire.connect(port=server.port) as connection:
            connection.query("create table t (a int)")
            connection.query("create saga s (p int) step one on t (1) do 'insert into t values (p)' pivot")
            for i in range(150):
                connection.query(f"start saga s ({i}) with key 'k{i}' wait")
            until, left = time.monotonic() + 60, 1
            while time.monotonic() < until and left:
                time.sleep(0.2)
                left = int(connection.rows("select count(*) from tusk_sagas")[0][0])
            checks.check("old sagas go", left == 0, f"{left} are left")
            last = int(connection.rows("start saga s (0) with key 'k0' wait")[0][0])
            checks.check("their keys and numbers are free, and not given again", last > 150, f"{last}")


def documented(checks, build):
    """The examples of docs/sagas.md: ```sql blocks are run, and what follows as ```text is answered."""
    with open(os.path.join(ROOT, "docs", "sagas.md"), encoding="utf-8") as file:
        text = file.read()
    blocks = re.findall(r"```(sql|text)\n(.*?)```", text, re.S)
    with Server(build) as server, pgwire.connect(port=server.port) as connection:
        rows = None
        for kind, block in blocks:
            if kind == "sql":
                try:
                    results = connection.query(block)
                    rows = results[-1].rows
                except pgwire.Error as error:
                    rows = [(error.sqlstate, error.message)]
                continue
            shown = [" | ".join("" if value is None else str(value) for value in row).rstrip()
                     for row in rows]
            wanted = [line.rstrip() for line in block.rstrip("\n").split("\n")]
            checks.check("docs/sagas.md: " + wanted[0], shown == wanted, f"{shown}")
        checks.check("examples were run", len(blocks) > 10, f"{len(blocks)}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", default="release")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=1.0)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    options = arguments.parse_args()
    print(f"saga.py --rounds {options.rounds} --seed {options.seed} --build {options.build}")
    checks = Checks()
    with Server(options.build, ["--checkpoint-log", "4MB"]) as server:
        crashes(checks, server, options)
        stuck_and_roles(checks, server.port)
    settled(checks, options.build, options.seconds)
    expiry(checks, options.build)
    documented(checks, options.build)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
