#!/usr/bin/env python3
"""Bank transfers as sagas over three shards and two routers, amid kill -9, SIGSTOP, cut connections
and moves of buckets: sums hold, every saga is settled or listed, a step takes effect at most once.

    tests/cluster/bank.py [--build release] [--seconds 8] [--seed N] [--moves] [--clients 4] [--etcd]

A third of the transfers begin in a transaction block beside a row of `witness`: the saga is there if
and only if the row is. --etcd: leases and moves in etcd, which is killed and stopped, too.

Settled readers (tusk.saga_reads) beside them: each owner has a purse of accounts that only its sagas
change, one saga at a time, so what each of its rows may be is known: as before the last saga or as
after it, all of them alike; as after it once that was seen, or answered; and the sum is the same at
every read. (Where several open sagas write one row a sum may contain a part: docs/sagas.md.)

Each transfer has a key of its own and is repeated until it is answered; the rows of `ledger` tell how
often each step took effect, for their key is not the transfer's.
"""
import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time

from cluster import Cluster, Etcd, connect
import pgwire
from server import Checks

ACCOUNTS, BALANCE = 24, 100

SCHEMA = [
    # Taking asks for enough, and no CHECK does: what was given and spent could not be taken back.
    "CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL) "
    "SHARD BY HASH (id) BUCKETS 12",
    # One row for each time a step, or its undoing, took effect: a second one would be seen.
    "CREATE TABLE ledger (account int, nonce bigserial, transfer text, what text, amount int, "
    "PRIMARY KEY (account, nonce)) SHARD BY HASH (account) BUCKETS 12 COLOCATE WITH account",
    "CREATE TABLE witness (account int, transfer text, PRIMARY KEY (account, transfer)) "
    "SHARD BY HASH (account) BUCKETS 12 COLOCATE WITH account",
    "CREATE TABLE decision (transfer text PRIMARY KEY, amount int) SHARD BY HASH (transfer) BUCKETS 6",
    """CREATE SAGA transfer (p_id text, p_from int, p_to int, p_amount int)
         STEP take ON account (id => p_from)
           DO $$ INSERT INTO ledger (account, transfer, what, amount)
                 VALUES (p_from, p_id, 'take', -p_amount);
                 UPDATE account SET balance = balance - p_amount
                 WHERE id = p_from AND balance >= p_amount $$
           UNDO $$ INSERT INTO ledger (account, transfer, what, amount)
                   VALUES (p_from, p_id, 'untake', p_amount);
                   UPDATE account SET balance = balance + p_amount WHERE id = p_from $$
           EXPECT ROWS RETRY 10 BACKOFF '10ms' TO '200ms'
         STEP give ON account (id => p_to)
           DO $$ UPDATE account SET balance = balance + p_amount WHERE id = p_to $$
           UNDO AUTO EXPECT ROWS RETRY 10 BACKOFF '10ms' TO '200ms'
         STEP decide ON decision (transfer => p_id)
           DO $$ INSERT INTO decision VALUES (p_id, 1 / (p_amount % 5)) $$
           PIVOT RETRY 10 BACKOFF '10ms' TO '200ms'
         STEP note ON ledger (account => p_to)
           DO $$ INSERT INTO ledger (account, transfer, what, amount)
                 VALUES (p_to, p_id, 'give', p_amount) $$
           RETRIABLE RETRY 1000 BACKOFF '10ms' TO '200ms'""",
]


PURSES, PURSE = 3, 4

PURSE_SCHEMA = [
    "CREATE TABLE purse (id int PRIMARY KEY, balance int NOT NULL, w int) SHARD BY HASH (id) BUCKETS 12 "
    "COLOCATE WITH account",
    """CREATE SAGA shift (p_from int, p_to int, p_bad int)
         STEP take ON purse (id => p_from) DO $$ UPDATE purse SET balance = balance - 1 WHERE id = p_from $$
           UNDO AUTO EXPECT ROWS RETRY 10 BACKOFF '10ms' TO '200ms'
         STEP give ON purse (id => p_to) DO $$ UPDATE purse SET balance = balance + 1 WHERE id = p_to $$
           UNDO AUTO EXPECT ROWS RETRY 10 BACKOFF '10ms' TO '200ms'
         STEP decide ON purse (id => p_from) DO $$ UPDATE purse SET w = 1 / (1 - p_bad) WHERE id = p_from $$
           PIVOT RETRY 10 BACKOFF '10ms' TO '200ms'
         STEP note ON purse (id => p_to) DO $$ UPDATE purse SET w = 2 WHERE id = p_to $$
           RETRIABLE RETRY 1000 BACKOFF '10ms' TO '200ms'""",
]


class Owner(threading.Thread):
    """Shifts within its purse, one after the other, and looks at it with settled reads meanwhile."""

    def __init__(self, number, routers, seed, stop):
        super().__init__(daemon=True)
        self.number, self.routers, self.stop = number, routers, stop
        self.random = random.Random(seed * 77 + number)
        self.ids = range(number * PURSE + 1, (number + 1) * PURSE + 1)
        self.before = dict.fromkeys(self.ids, BALANCE)
        self.after = None            # while a saga may be open that is not to be taken back
        self.open = False
        self.count = self.reads = self.unknown = self.late = 0
        self.wrong, self.other = [], {}
        self.conns = {}

    def ask(self, text, anywhere=True, params=None):
        """None: there is no answer."""
        router = self.random.choice(self.routers) if anywhere else self.routers[0]
        try:
            if router not in self.conns:
                self.conns[router] = connect(router, timeout=6)
                self.conns[router].query("SET tusk.saga_reads = settled")
            conn = self.conns[router]
            return conn.execute(text, params).rows if params is not None else conn.query(text)[-1].rows
        except pgwire.Error as error:
            self.unknown += error.sqlstate == "TS011"
            self.other[error.sqlstate] = self.other.get(error.sqlstate, 0) + 1
            return None
        except (pgwire.ConnectionLost, OSError):
            conn = self.conns.pop(router, None)
            if conn is not None:
                conn.sock.close()
            return None

    def ended(self, completed):
        if completed:
            self.before = self.after
        self.after, self.open = None, False

    def judge(self, how, found):
        self.reads += 1
        values = {int(k): int(v) for k, v in found}
        if all(self.before[k] == v for k, v in values.items()):
            return
        if self.after is not None and all(self.after[k] == v for k, v in values.items()):
            self.ended(True)
            return
        self.wrong.append((how, self.count, values, self.before, self.after))

    def look(self):
        ids = f"{self.ids[0]} AND {self.ids[-1]}"
        one = self.random.choice(self.ids)
        for how, text, params in self.random.sample([
                ("all", f"SELECT id, balance FROM purse WHERE id BETWEEN {ids}", None),
                ("one", f"SELECT id, balance FROM purse WHERE id = {one}", None),
                ("one, prepared", "SELECT id, balance FROM purse WHERE id = $1", [one])], 2):
            found = self.ask(text, True, params)
            if found is not None:
                self.judge(how, found)
        total = self.ask("SELECT sum(balance), count(*) FROM purse")
        if total is not None:
            self.reads += 1
            if total != [(str(PURSES * PURSE * BALANCE), str(PURSES * PURSE))]:
                self.wrong.append(("sum", self.count, total))

    def run(self):
        while not self.stop.is_set() or self.open:
            if not self.open:
                self.count += 1
                a, b = self.random.sample(self.ids, 2)
                self.bad = int(self.random.random() < 0.3)
                self.text = f"START SAGA shift ({a}, {b}, {self.bad}) WITH KEY 'p{self.number}.{self.count}'"
                self.after = None if self.bad else {
                    k: v - (k == a) + (k == b) for k, v in self.before.items()}
                self.open = True
                self.ask(self.text)
            self.look()
            if self.open and (self.stop.is_set() or self.random.random() < 0.4):
                got = self.ask(self.text + " WAIT")
                if got is not None and got[0][1] in ("completed", "compensated"):
                    if (got[0][1] == "completed") == bool(self.bad):
                        self.wrong.append(("end", self.count, got))
                    self.ended(not self.bad)
                self.look()


class Client(threading.Thread):
    """Begins transfers, and repeats each until somebody answers."""

    def __init__(self, number, routers, seed, stop):
        super().__init__(daemon=True)
        self.number, self.routers, self.stop = number, routers, stop
        self.random = random.Random(seed * 1000 + number)
        self.answers, self.repeats, self.other, self.conn = {}, 0, {}, None
        self.in_blocks = self.taken_back = 0

    def run(self):
        count = 0
        while not self.stop.is_set():
            count += 1
            a, b = self.random.sample(range(1, ACCOUNTS + 1), 2)
            if self.random.random() < 0.05:
                b = 1000 + b   # nobody's: the step finds no row
            amount = self.random.randint(1, 60)
            if self.random.random() < 0.35:
                self.in_block(f"b{self.number}.{count}", a, b, amount)
            else:
                self.transfer(f"{self.number}.{count}", a, b, amount)

    def in_block(self, key, a, b, amount):
        """Beside a row of the client's own; sometimes rolled back; not always repeated."""
        account = self.random.randint(1, ACCOUNTS)
        back = self.random.random() < 0.2
        for _ in range(self.random.choice([1, 3, 1000])):
            try:
                if self.conn is None:
                    self.conn = connect(self.random.choice(self.routers), timeout=6)
                self.conn.query("BEGIN")
                self.conn.query(f"INSERT INTO witness VALUES ({account}, '{key}') ON CONFLICT DO NOTHING")
                self.conn.query(f"START SAGA transfer ('{key}', {a}, {b}, {amount}) WITH KEY '{key}'")
                self.conn.query("ROLLBACK" if back else "COMMIT")
                self.in_blocks += not back
                self.taken_back += back
                return
            except pgwire.Error as error:
                self.other[error.sqlstate] = self.other.get(error.sqlstate, 0) + 1
                self.drop()
            except (pgwire.ConnectionLost, OSError):
                self.drop()
            self.repeats += 1
            time.sleep(0.02)

    def transfer(self, key, a, b, amount):
        wait = self.random.random() < 0.8
        text = f"START SAGA transfer ('{key}', {a}, {b}, {amount}) WITH KEY '{key}'"
        while key not in self.answers:
            try:
                if self.conn is None:
                    self.conn = connect(self.random.choice(self.routers), timeout=6)
                number, state, _ = self.conn.query(text + (" WAIT" if wait else ""))[-1].rows[0]
                self.answers[key] = (number, state)
                return
            except pgwire.Error as error:
                self.other[error.sqlstate] = self.other.get(error.sqlstate, 0) + 1
                self.drop()
            except (pgwire.ConnectionLost, OSError):
                self.drop()
            self.repeats += 1
            time.sleep(0.02)
            if self.stop.is_set():
                wait = False

    def drop(self):
        if self.conn is not None:
            try:
                self.conn.sock.close()
            except OSError:
                pass
        self.conn = None


class Trouble(threading.Thread):
    """Kills, stops and cuts, one thing after another."""

    def __init__(self, cluster, routers, etcd, seed, stop):
        super().__init__(daemon=True)
        self.cluster, self.routers, self.etcd, self.stop = cluster, routers, etcd, stop
        self.random = random.Random(seed)
        self.done = {}
        self.failed = None

    def run(self):
        try:
            while not self.stop.wait(self.random.uniform(0.2, 0.7)):
                name = self.random.choice(["kill", "kill", "pause", "pause", "cut", "router", "rest"] +
                                          (["store", "store_pause"] if self.etcd else []))
                self.done[name] = self.done.get(name, 0) + 1
                getattr(self, name)()
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error

    def kill(self):
        victim = self.random.choice(self.cluster.shards)
        victim.kill()
        time.sleep(self.random.uniform(0, 0.3))
        victim.start()

    def router(self):
        victim = self.random.choice(self.routers)
        victim.kill()
        time.sleep(self.random.uniform(0, 0.2))
        victim.start()

    def pause(self):
        victim = self.random.choice(self.cluster.shards + self.routers)
        victim.process.send_signal(signal.SIGSTOP)
        time.sleep(self.random.uniform(0.05, 1.0))
        victim.process.send_signal(signal.SIGCONT)

    def store(self):
        self.etcd.kill()
        time.sleep(self.random.uniform(0, 3))
        self.etcd.start()

    def store_pause(self):
        self.etcd.process.send_signal(signal.SIGSTOP)
        time.sleep(self.random.uniform(0.1, 3))
        self.etcd.process.send_signal(signal.SIGCONT)

    def cut(self):
        """The connections of a shard's clients end."""
        victim = self.random.choice(self.cluster.shards)
        try:
            with connect(victim, timeout=5) as conn:
                conn.query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                           "WHERE pid <> pg_backend_pid()")
        except (pgwire.Error, pgwire.ConnectionLost, OSError):
            pass

    def rest(self):
        time.sleep(0.3)


class Mover(threading.Thread):
    def __init__(self, routers, seed, stop):
        super().__init__(daemon=True)
        self.routers, self.stop = routers, stop
        self.random = random.Random(seed + 17)
        self.moved = self.refused = 0

    def run(self):
        tables = (("account", 12), ("decision", 6), ("tusk_cluster.sagas", 64))
        while not self.stop.wait(0.05):
            table, buckets = self.random.choice(tables)
            text = (f"ALTER TABLE {table} MOVE BUCKET {self.random.randrange(buckets)} "
                    f"TO n{self.random.randint(1, 3)}")
            try:
                with connect(self.random.choice(self.routers), timeout=20) as conn:
                    conn.query(text)
                self.moved += 1
            except (pgwire.Error, pgwire.ConnectionLost, OSError):
                self.refused += 1
                time.sleep(0.1)


def ask(server, text):
    """Until it is answered."""
    end = time.monotonic() + 60
    while True:
        try:
            with connect(server, timeout=20) as conn:
                return conn.query(text)[-1].rows
        except (pgwire.Error, pgwire.ConnectionLost, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def settle(router):
    """Until nothing runs any more, or two minutes."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        rest = ask(router, "SELECT count(*) FROM tusk_sagas WHERE state IN "
                           "('starting', 'running', 'compensating')")
        if rest == [("0",)]:
            return True
        time.sleep(0.2)
    return False


def judge(checks, router, clients):
    answers = {}
    for client in clients:
        answers.update(client.answers)
    sagas = {row[1]: (row[0], row[2]) for row in ask(
        router, "SELECT saga, key, state FROM tusk_sagas WHERE name = 'transfer'") if row[1] is not None}
    begun = {key for key in sagas if key.startswith("b")}
    seen = {row[0] for row in ask(router, "SELECT transfer FROM witness")}
    checks.check("a saga of a block is there if the block's row is", begun == seen,
                 (sorted(begun - seen)[:3], sorted(seen - begun)[:3]))
    checks.check("every answered saga is there once",
                 all(sagas.get(key, (None,))[0] == number for key, (number, _) in answers.items()),
                 [(k, v, sagas.get(k)) for k, v in answers.items() if sagas.get(k, (0,))[0] != v[0]][:3])
    states = {}
    for _, state in sagas.values():
        states[state] = states.get(state, 0) + 1
    checks.check("all have ended", set(states) <= {"completed", "compensated"},
                 (states, ask(router, "SELECT saga, key, state, step, sqlstate, error FROM tusk_sagas "
                                      "WHERE state NOT IN ('completed', 'compensated') LIMIT 5")))
    wrong = [key for key, (_, state) in answers.items()
             if state in ("completed", "compensated") and sagas[key][1] != state]
    checks.check("what was answered stays so", not wrong, wrong[:3])
    rows = ask(router, "SELECT transfer, what, account, amount FROM ledger")
    effects = {}
    for transfer, what, _, _ in rows:
        effects.setdefault(transfer, []).append(what)
    bad = {key: sorted(what) for key, what in effects.items() if
           sorted(what) != {"completed": ["give", "take"], "compensated": ["take", "untake"]}.get(
               sagas.get(key, (0, "none"))[1]) and
           not (sagas.get(key, (0, ""))[1] == "compensated" and not what)}
    checks.check("each step took effect once, or was taken back once", not bad, list(bad.items())[:3])
    missing = [key for key, (_, state) in sagas.items() if state == "completed" and key not in effects]
    checks.check("what is completed has taken effect", not missing, missing[:3])
    total = ask(router, "SELECT sum(balance), count(*) FROM account")
    checks.check("the sum holds", total == [(str(ACCOUNTS * BALANCE), str(ACCOUNTS))], total)
    balances = dict(ask(router, "SELECT id, balance FROM account"))
    sums = dict(ask(router, "SELECT account, sum(amount) FROM ledger GROUP BY account"))
    off = [i for i in balances if int(balances[i]) != BALANCE + int(sums.get(i, 0))]
    checks.check("each account is what its ledger says", not off, off)
    decided = {row[0] for row in ask(router, "SELECT transfer FROM decision")}
    checks.check("decided are the completed ones",
                 decided == {key for key, (_, state) in sagas.items() if state == "completed"})
    return states


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--moves", action="store_true")
    parser.add_argument("--etcd", action="store_true")
    args = parser.parse_args()
    print(f"bank.py --seconds {args.seconds} --seed {args.seed} --clients {args.clients}"
          f"{' --moves' if args.moves else ''}{' --etcd' if args.etcd else ''}", flush=True)
    checks = Checks()
    with contextlib.ExitStack() as stack:
        etcd = stack.enter_context(Etcd()) if args.etcd else None
        store = etcd.url() if etcd else "file:" + stack.enter_context(tempfile.TemporaryDirectory())
        cluster = stack.enter_context(Cluster(
            args.build, arguments=["-c", "router_breaker_pause=100", "-c", f"router_control={store}"],
            shard_arguments=["-c", f"cluster_control={store}", "-c", "cluster_lease=2s"] if etcd else []))
        second = stack.enter_context(cluster.new_router())
        routers = [cluster.router, second]
        with connect(cluster.router) as conn:
            for text in SCHEMA:
                conn.query(text)
            for i in range(1, ACCOUNTS + 1):
                conn.query(f"INSERT INTO account VALUES ({i}, {BALANCE})")
            for text in PURSE_SCHEMA:
                conn.query(text)
            for i in range(1, PURSES * PURSE + 1):
                conn.query(f"INSERT INTO purse VALUES ({i}, {BALANCE}, 0)")
        stop, calm = threading.Event(), threading.Event()
        clients = [Client(i, routers, args.seed, stop) for i in range(args.clients)]
        others = [Trouble(cluster, routers, etcd, args.seed, calm)]
        if args.moves:
            others.append(Mover(routers, args.seed, calm))
        owners = [Owner(i, routers, args.seed, stop) for i in range(PURSES)]
        for thread in clients + others + owners:
            thread.start()
        time.sleep(args.seconds)
        calm.set()
        for thread in others:
            thread.join(60)
        checks.check("the trouble was what it should be", others[0].failed is None, others[0].failed)
        stop.set()
        for client in clients:
            client.join(90)
            checks.check("every transfer is answered at last", not client.is_alive(), client.other)
        for owner in owners:
            owner.join(90)
            checks.check("settled reads show whole sagas, or nothing of them",
                         not owner.is_alive() and not owner.wrong, owner.wrong[:2] or owner.other)
            checks.check("settled reads are answered", owner.reads > 0, owner.other)
        checks.check("every saga settles", settle(cluster.router))
        states = judge(checks, cluster.router, clients)
        moved = f", {others[1].moved} buckets moved, {others[1].refused} not" if args.moves else ""
        other = {}
        for client in clients:
            for state, count in client.other.items():
                other[state] = other.get(state, 0) + count
        print(f"{sum(c.in_blocks for c in clients)} begun in blocks, "
              f"{sum(c.taken_back for c in clients)} taken back")
        print(f"{states}, {sum(c.repeats for c in clients)} starts repeated {other}; "
              f"{others[0].done}{moved}; {sum(o.reads for o in owners)} settled reads, "
              f"{sum(o.unknown for o in owners)} not known, {sum(o.count for o in owners)} shifts")
        if checks.failed:
            for server in cluster.shards + routers:
                print(os.path.basename(server.directory), server.tail(8))
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
