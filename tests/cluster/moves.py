#!/usr/bin/env python3
"""ALTER TABLE .. MOVE BUCKETS through the router, while clients of it write; a range is split.

    tests/cluster/moves.py [--build release]
    tests/cluster/moves.py --torture [--seconds 10] [--seed N]

--torture: three routers, of which two learn of changes only by being refused, move buckets and carry
the clients' transactions; routers, nodes and etcd are killed (-9) and stopped for longer than leases
last, at any step of the moves. No row on a wrong node, none lost, none twice.
"""
import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
import types

from cluster import Cluster, connect, rows
from lease import Etcd
import pgwire
from server import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests/shell"))
from compare import Terminal

ROWS = 400


class Writer(threading.Thread):
    def __init__(self, router, number, stop):
        super().__init__(daemon=True)
        self.router, self.number, self.stop = router, number, stop
        self.done, self.tries, self.failed = 0, 0, None

    def run(self):
        try:
            with connect(self.router) as conn:
                while not self.stop.is_set():
                    self.tries += 1
                    row = (self.tries * 7 + self.number) % ROWS + 1
                    try:
                        tag = conn.query(f"UPDATE acc SET v = v + 1 WHERE id = {row}")[-1].tag
                        assert tag == "UPDATE 1", tag
                        self.done += 1
                    except pgwire.Error as error:
                        if error.sqlstate not in ("TR003", "TR004"):
                            raise
                        time.sleep(0.01)
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error


BUCKETS = 9
SAFE = ("TR003", "TR004", "TR005", "08001", "40001", "40P01", "57P01", "57P03", "25P02", "55006", "55000",
        "53300")


class Client(threading.Thread):
    """Counts a row up and writes that down, in one transaction, through any router."""

    def __init__(self, routers, number, seed, stop):
        super().__init__(daemon=True)
        self.routers, self.stop, self.random = routers, stop, random.Random(seed)
        self.next, self.failed = number * 1_000_000, None
        self.acked, self.maybe, self.refused = set(), set(), 0

    def run(self):
        connection = None
        try:
            while not self.stop.is_set():
                try:
                    if connection is None or self.random.random() < 0.05:
                        connection = connect(self.random.choice(self.routers), timeout=20)
                    self.write(connection)
                except (OSError, pgwire.ConnectionLost):
                    connection = None
                    time.sleep(0.05)
                except pgwire.Error as error:   # of a connection; write() has its own
                    if error.sqlstate not in SAFE + ("08007", "08006"):
                        raise
                    connection = None
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error

    def write(self, connection):
        self.next += 1
        key = (self.random.randrange(1, ROWS + 1), self.next)
        texts = [f"UPDATE acc SET v = v + 1 WHERE id = {key[0]}",
                 f"INSERT INTO log VALUES ({key[0]}, {key[1]})"]
        self.random.shuffle(texts)
        committing = False
        try:
            connection.query("BEGIN")
            for text in texts:
                tag = connection.query(text)[-1].tag
                assert tag in ("UPDATE 1", "INSERT 0 1"), (text, tag)
            committing = True
            self.maybe.add(key)
            tag = connection.query("COMMIT")[-1].tag
            assert tag == "COMMIT", tag
            self.acked.add(key)
        except pgwire.Error as error:
            if error.sqlstate not in SAFE + ("08007", "08006"):
                raise
            self.refused += 1
            if committing and error.sqlstate not in ("08007", "08006"):
                self.maybe.discard(key)
            connection.query("ROLLBACK")
            time.sleep(0.01)


class Reader(threading.Thread):
    def __init__(self, routers, stop):
        super().__init__(daemon=True)
        self.routers, self.stop, self.good, self.refused, self.failed = routers, stop, 0, 0, None

    def run(self):
        while not self.stop.is_set() and self.failed is None:
            try:
                with connect(random.choice(self.routers), timeout=20) as conn:
                    count, total, logged = [int(x) for x in conn.query(
                        "SELECT (SELECT count(*) FROM acc), (SELECT sum(v) FROM acc), "
                        "(SELECT count(*) FROM log)")[-1].rows[0]]
                if count != ROWS or total != logged:
                    self.failed = AssertionError(f"{count} rows, sum {total}, {logged} log rows")
                self.good += 1
            except (OSError, pgwire.ConnectionLost):
                self.refused += 1
            except pgwire.Error as error:
                if error.sqlstate not in SAFE + ("08007", "08006"):
                    self.failed = error
                self.refused += 1
            time.sleep(0.02)


class Mover(threading.Thread):
    def __init__(self, routers, seed, stop):
        super().__init__(daemon=True)
        self.routers, self.stop, self.random = routers, stop, random.Random(seed)
        self.done, self.tries, self.failed = 0, 0, None

    def run(self):
        while not self.stop.is_set() and self.failed is None:
            self.tries += 1
            try:
                with connect(self.random.choice(self.routers), timeout=30) as conn:
                    conn.query(f"ALTER TABLE acc MOVE BUCKET {self.random.randrange(BUCKETS)} "
                               f"TO n{self.random.randrange(1, 4)}")
                self.done += 1
            except (OSError, pgwire.ConnectionLost):
                pass
            except pgwire.Error as error:
                if error.sqlstate not in SAFE + ("08007", "08006", "58000", "55P03"):
                    self.failed = error
            time.sleep(self.random.random() * 0.1)


def quiet(cluster):
    """No bucket is on its way: whoever was killed, a router has ended his move."""
    for _ in range(600):
        states = [row[0] for shard in cluster.shards
                  for row in rows(shard, "SELECT state FROM tusk_buckets WHERE bucketgroup = 'public.acc'")]
        if "handing" not in states and "sent" not in states:
            return
        time.sleep(0.1)
    raise AssertionError(f"the moves do not end: {states}")


def check(cluster, clients):
    place, value, log, owned = {}, {}, set(), {}
    for node, shard in enumerate(cluster.shards):
        for bucket, in rows(shard, "SELECT bucket FROM tusk_buckets WHERE state = 'owned' AND "
                               "bucketgroup = 'public.acc'"):
            assert bucket not in owned, f"bucket {bucket} has two owners"
            owned[bucket] = node
        for row, v, bucket in rows(shard, "SELECT id, v, tusk_bucket('acc', id::text) FROM acc"):
            assert row not in place, f"row {row} is on two nodes"
            assert owned.get(bucket) == node, f"row {row} is on n{node + 1}, its bucket is not"
            place[row], value[row] = node, int(v)
        for row, number in rows(shard, "SELECT id, n FROM log"):
            key = (int(row), int(number))
            assert key not in log, f"log {key} twice"
            assert place.get(row) == node, f"log {key} is on n{node + 1}"
            log.add(key)
    assert len(place) == ROWS and len(owned) == BUCKETS, (len(place), owned)
    acked = set().union(*(c.acked for c in clients))
    maybe = set().union(*(c.maybe for c in clients))
    assert acked <= log, f"lost: {sorted(acked - log)[:5]}"
    assert log <= acked | maybe, f"from nowhere: {sorted(log - acked - maybe)[:5]}"
    for row in place:
        count = sum(1 for key in log if key[0] == int(row))
        assert value[row] == count, f"row {row}: {value[row]}, {count} log rows"
    return len(log)


def torture(args, ending):
    rng = random.Random(args.seed)
    stop = threading.Event()
    counts = {"kill": 0, "stop": 0}
    with Etcd() as etcd, Cluster(args.build, arguments=["-c", f"router_control={etcd.url()}"],
                                 shard_arguments=["-c", f"cluster_control={etcd.url()}"]) as cluster:
        old = ["-c", "router_sync=1h", "-c", "router_watch=off"]
        routers = [cluster.router, cluster.new_router(old).start(), cluster.new_router(old).start()]
        ending.extend(router.__exit__ for router in routers[1:])
        with connect(cluster.router) as conn:
            conn.query(f"CREATE TABLE acc (id int PRIMARY KEY, v int) SHARD BY HASH (id) BUCKETS {BUCKETS}")
            conn.query("CREATE INDEX ON acc (v)")
            conn.query("CREATE TABLE log (id int, n int, PRIMARY KEY (id, n)) "
                       f"SHARD BY HASH (id) BUCKETS {BUCKETS} COLOCATE WITH acc")
            for row in range(1, ROWS + 1):
                conn.query(f"INSERT INTO acc VALUES ({row}, 0)")
        for router in routers[1:]:   # they know the tables, and who had which bucket
            router.stop(signal.SIGKILL)
            router.start()
        clients = [Client(routers, i, args.seed * 100 + i, stop) for i in range(4)]
        movers = [Mover(routers, args.seed * 100 + 50 + i, stop) for i in range(2)]
        reader = Reader(routers, stop)
        threads = clients + movers + [reader]
        for thread in threads:
            thread.start()
        until = time.monotonic() + args.seconds
        while time.monotonic() < until:
            time.sleep(rng.random() * 0.4)
            victim = rng.choice(routers + cluster.shards + [etcd])
            if rng.random() < 0.5:
                counts["kill"] += 1
                victim.kill()
                time.sleep(rng.random() * 0.2)
                victim.start()
            else:   # longer than a mover's lease, now and then
                counts["stop"] += 1
                victim.process.send_signal(signal.SIGSTOP)
                time.sleep(rng.choice([0.2, 0.5, 3.5]))
                victim.process.send_signal(signal.SIGCONT)
        stop.set()
        for thread in threads:
            thread.join(timeout=90)
            assert not thread.is_alive(), f"{thread} does not end"
            assert thread.failed is None, thread.failed
        quiet(cluster)
        written = check(cluster, clients)
        print(f"{sum(m.done for m in movers)} of {sum(m.tries for m in movers)} moves ended in their "
              f"statement, {counts['kill']} kills, {counts['stop']} pauses; {written} changes, "
              f"{sum(c.refused for c in clients)} refused; {reader.good} cuts, {reader.refused} refused")
        assert reader.good > 0 and written > 0 and sum(m.done for m in movers) > 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--torture", action="store_true")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.torture:
        ending = []
        try:
            torture(args, ending)
        finally:
            for end in ending:
                end()
        return
    with Cluster(args.build) as cluster:
        router = cluster.router
        with connect(router) as conn:
            conn.query("CREATE TABLE acc (id int PRIMARY KEY, v int) SHARD BY HASH (id) BUCKETS 9")
            conn.query("CREATE TABLE part (id int, n int, PRIMARY KEY (id, n)) "
                       "SHARD BY HASH (id) BUCKETS 9 COLOCATE WITH acc")
            for row in range(1, ROWS + 1):
                conn.query(f"INSERT INTO acc VALUES ({row}, 0)")
                conn.query(f"INSERT INTO part VALUES ({row}, 1)")
        stop = threading.Event()
        writers = [Writer(router, i, stop) for i in range(3)]
        for writer in writers:
            writer.start()
        moved = 0
        for buckets, node in (((0, 1, 2), 3), ((4,), 1), ((8, 0), 2), ((1, 5), 1)):
            numbers = ", ".join(str(b) for b in buckets)
            with connect(router) as conn:
                conn.query(f"ALTER TABLE acc MOVE BUCKETS ({numbers}) TO n{node}")
            moved += len(buckets)
            for bucket in buckets:
                for i, shard in enumerate(cluster.shards):
                    state = rows(shard, "SELECT state FROM tusk_buckets WHERE bucketgroup = "
                                    f"'public.acc' AND bucket = {bucket}")
                    owned = state and state[0][0] == b"owned" or state and state[0][0] == "owned"
                    assert bool(owned) == (i + 1 == node), (bucket, i + 1, state)
        stop.set()
        for writer in writers:
            writer.join()
            assert writer.failed is None, writer.failed
        done = sum(w.done for w in writers)
        count, total = [int(x) for x in rows(router, "SELECT count(*), sum(v) FROM acc")[0]]
        assert (count, total) == (ROWS, done), (count, total, done)
        assert int(rows(router, "SELECT count(*) FROM part")[0][0]) == ROWS
        with connect(router) as conn:
            for text, state in (("ALTER TABLE acc MOVE BUCKET 99 TO n1", "42704"),
                                ("ALTER TABLE acc MOVE BUCKET 1 TO nowhere", "42704")):
                try:
                    conn.query(text)
                    assert False, text
                except pgwire.Error as error:
                    assert error.sqlstate == state, (text, error.sqlstate, str(error))
            conn.query("CREATE TABLE days (day int PRIMARY KEY, x int) SHARD BY RANGE (day) (100, 200)")
            for day in range(0, 300, 10):
                conn.query(f"INSERT INTO days VALUES ({day}, {day})")
            for again in (False, True):   # its key is of both halves (I4)
                conn.query("SET tusk.idempotency_key = 'before the split'")
                assert conn.query("UPDATE days SET x = x * 10 WHERE day = 190 RETURNING x")[-1].rows == [("1900",)]
                if not again:
                    conn.query("ALTER TABLE days SPLIT AT (150)")
                    for node in (1, 3, 2, 3):
                        conn.query(f"ALTER TABLE days MOVE BUCKET 3 TO n{node}")
        assert int(rows(router, "SELECT count(*) FROM days")[0][0]) == 30
        assert int(rows(router, "SELECT x FROM days WHERE day = 170")[0][0]) == 170
        keyed_done = keys_move(cluster)
        print(f"{keyed_done} transactions with keys beside moves, each repeated once")
        see_progress(router, args.build)
        print(f"{moved + 1} buckets moved through the router, one split; {done} updates beside it, "
              f"{sum(w.tries for w in writers) - done} refused to the client")


UPDATED = "UPDATE paid SET v = v + 1 WHERE id = {} RETURNING id, v"


def keyed(conn, key, row, block):
    """What it is answered: rows and tags; and whether it was answered from the key."""
    before = len(conn.notices)
    if block:
        conn.query(f"BEGIN; SET LOCAL tusk.idempotency_key = '{key}'")
        answers = conn.query(UPDATED.format(row))
        answers += conn.query(f"INSERT INTO receipts VALUES ({row}, '{key}')")
        conn.query("COMMIT")
    else:
        conn.query(f"SET tusk.idempotency_key = '{key}'")
        answers = conn.query(UPDATED.format(row))
    said = any("has committed" in str(notice) for notice in conn.notices[before:])
    return [(answer.rows, answer.tag) for answer in answers], said


def patient(conn, key, row, block):
    """As clients are told to: what was refused is asked again."""
    while True:
        try:
            return keyed(conn, key, row, block)
        except pgwire.Error as error:
            assert error.sqlstate in ("TR003", "TR004", "40001", "40P01"), error
            conn.query("ROLLBACK")
            conn.query("RESET tusk.idempotency_key")
            time.sleep(0.005)


class Payer(threading.Thread):
    def __init__(self, router, number, stop):
        super().__init__(daemon=True)
        self.router, self.number, self.stop = router, number, stop
        self.paid, self.failed = [], None

    def run(self):
        try:
            with connect(self.router) as conn:
                while not self.stop.is_set() or not self.paid:
                    key, row = f"payer-{self.number}-{len(self.paid)}", len(self.paid) % 40 + 1
                    block = len(self.paid) % 2 == 0
                    self.paid.append((key, row, block, patient(conn, key, row, block)[0]))
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error


def keys_move(cluster):
    """Idempotency keys go with the buckets of their transactions' first statements (I4 to I7)."""
    router = cluster.router
    with connect(router) as conn:
        conn.query("CREATE TABLE paid (id int PRIMARY KEY, v int) SHARD BY HASH (id) BUCKETS 4")
        conn.query("CREATE TABLE receipts (id int, t text, PRIMARY KEY (id, t)) "
                   "SHARD BY HASH (id) BUCKETS 4 COLOCATE WITH paid")
        for row in range(1, 41):
            conn.query(f"INSERT INTO paid VALUES ({row}, 0)")
    here = [rows(shard, "SELECT id, tusk_bucket('paid', id::text) FROM paid WHERE id = 1")
            for shard in cluster.shards]
    home = next(i for i, found in enumerate(here) if found)
    bucket = int(here[home][0][1])
    others = [i for i in range(3) if i != home]
    with connect(router) as conn:
        first = {}
        for key, block in (("in-block", True), ("alone", False)):
            first[key], said = keyed(conn, key, 1, block)
            assert not said
        conn.query("SET tusk.idempotency_key = 'insert'")
        conn.query("INSERT INTO receipts VALUES (1, 'insert') RETURNING t")
        # A read decides where it is repeated, too.
        conn.query("BEGIN; SET LOCAL tusk.idempotency_key = 'reads'")
        conn.query("SELECT id FROM paid WHERE id = 1")
        conn.query(UPDATED.format(1))
        conn.query("COMMIT")
        conn.query("SET tusk.idempotency_key = 'old'")
        conn.query("UPDATE paid SET v = v + 0 WHERE id = 1")

    def again(conn, place):
        for key, block in (("in-block", True), ("alone", False)):
            answer, said = keyed(conn, key, 1, block)
            assert said and answer == first[key], (place, key, answer, first[key])
        conn.query("SET tusk.idempotency_key = 'insert'")
        assert conn.query("INSERT INTO receipts VALUES (1, 'insert') RETURNING t")[-1].rows == [("insert",)]
        conn.query("BEGIN; SET LOCAL tusk.idempotency_key = 'reads'")
        conn.query("SELECT id FROM paid WHERE id = 1")
        assert conn.query(UPDATED.format(1))[-1].rows == [("1", "3")]
        conn.query("COMMIT")
        try:   # another request under the key
            keyed(conn, "alone", 1, True)
            assert False, "another request"
        except pgwire.Error as error:
            assert error.sqlstate == "TI001", error
            conn.query("ROLLBACK")
        assert conn.query("SELECT v FROM paid WHERE id = 1")[-1].rows == [("3",)], place
        assert conn.query("SELECT count(*) FROM receipts WHERE id = 1")[-1].rows == [("2",)], place

    with connect(router) as conn:
        for place in (others[0], others[1], home, others[0]):
            conn.query(f"ALTER TABLE paid MOVE BUCKET {bucket} TO n{place + 1}")
            again(conn, place)
    for server in cluster.shards + [router]:   # the router has connections to those that are gone
        server.kill()
        server.start()
    with connect(router) as conn:
        again(conn, "after the kill")
    kept = [{row[0] for row in rows(shard, "SELECT key FROM tusk_idempotency_keys")}
            for shard in cluster.shards]
    assert all({"in-block", "alone", "insert", "reads", "old"} <= keys for keys in kept), kept

    stop = threading.Event()
    payers = [Payer(router, i, stop) for i in range(3)]
    for payer in payers:
        payer.start()
    with connect(router) as conn:
        for round in range(6):
            conn.query(f"ALTER TABLE paid MOVE BUCKETS (0, 1, 2, 3) TO n{round % 3 + 1}")
    stop.set()
    for payer in payers:
        payer.join()
        assert payer.failed is None, payer.failed
    done = sum(len(payer.paid) for payer in payers)

    def total():
        return [int(x) for x in rows(
            router, "SELECT (SELECT sum(v) FROM paid), (SELECT count(*) FROM receipts)")[0]]
    before = total()
    assert before[0] == done + 3, (before, done)
    with connect(router) as conn:
        for payer in payers:
            for key, row, block, answer in payer.paid:
                again_answer, said = keyed(conn, key, row, block)
                assert said and again_answer == answer, (key, answer, again_answer)
    assert total() == before, (before, total())

    # Who has only read where he would be repeated does not commit behind its move (I5).
    with connect(router) as conn, connect(router) as mover:
        other = conn.query(f"SELECT id FROM paid WHERE tusk_bucket('paid', id::text) <> {bucket}")[-1].rows[0][0]
        conn.query("BEGIN; SET LOCAL tusk.idempotency_key = 'too-late'")
        conn.query("SELECT v FROM paid WHERE id = 1")
        conn.query(UPDATED.format(other))
        mover.query(f"ALTER TABLE paid MOVE BUCKET {bucket} TO n2")
        try:
            conn.query("COMMIT")
            assert False, "it has committed at a node where nobody looks for its key"
        except pgwire.Error as error:
            assert error.sqlstate == "TR003", error
        assert total() == before, (before, total())

    # Whose time is over stays behind, and is done again.
    with connect(router) as conn:
        keyed(conn, "late", 1, False)
    for shard in cluster.shards:
        with connect(shard) as conn:
            conn.query("ALTER SYSTEM SET tusk.idempotency_ttl = '1s'")
            conn.query("SELECT pg_reload_conf()")
    time.sleep(1.2)
    with connect(router) as conn:
        conn.query(f"ALTER TABLE paid MOVE BUCKET {bucket} TO n1")
        late = "SELECT key FROM tusk_idempotency_keys WHERE key = 'late'"
        assert rows(cluster.shards[0], late) == []
        assert not keyed(conn, "late", 1, False)[1]
    assert len(rows(cluster.shards[0], late)) == 1
    return done


def see_progress(router, build):
    """A move that takes a while is shown by the shell at the router."""
    with connect(router) as conn:
        conn.query("CREATE TABLE large (id int PRIMARY KEY, t text) SHARD BY RANGE (id) (1000000)")
        for first in range(0, 300000, 5000):
            conn.query("INSERT INTO large VALUES " + ", ".join(
                f"({i}, '{i:0400}')" for i in range(first, first + 5000)))
        here = rows(router, "EXPLAIN SELECT t FROM large WHERE id = 1")
        to = next(n for n in ("n1", "n2") if n not in str(here))
    runner = types.SimpleNamespace(
        tusk=os.path.join(ROOT, "build", build, "tusk"), environment=dict(os.environ),
        target=["-h", "127.0.0.1", "-p", str(router.port), "-U", "postgres"], dbname="postgres")
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(runner, folder)
        terminal.expect("postgres=# ")
        terminal.type(f"alter table large move bucket 0 to {to};\n")
        terminal.expect(r"bucket 0 \w+: \d+ rows, [0-9.]+ MiB", 30)
        terminal.expect("ALTER TABLE", 60)
        terminal.type("\\q\n")
        assert terminal.end() == 0


if __name__ == "__main__":
    main()
