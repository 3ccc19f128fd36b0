#!/usr/bin/python3
"""Buckets are moved between three nodes while clients with old maps write, and everything is killed,
stopped and started again: no row on a wrong node, none lost, none there twice.

    tests/system/moves.py [--seconds 10] [--seed N] [--etcd] [--build release]
    tests/system/moves.py --pause [--moves 60] [--clients 8]     how long writes stand still
    tests/system/moves.py --steps [--cases 0] [--etcd]           each step, each process: killed, stopped

Nodes are tuskd with cluster_node; the mover is tests/shard/mover.c (shard/move.h). Clients keep a map
of their own, which they look at again only when a node refuses them, and then not always.
"""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUCKETS = 12
GROUP = "public.acc"


def free_ports(count):
    import socket
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Node:
    def __init__(self, build, folder, name, port):
        self.build, self.folder, self.name, self.port = build, os.path.join(folder, name), name, port
        self.log = open(os.path.join(folder, name + ".log"), "ab")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [os.path.join(self.build, "tuskd"), "-D", self.folder, "-p", str(self.port), "-c",
             f"cluster_node={self.name}", "-c", "shared_buffers=64MB", "-c", "history_window=5s"],
            stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                self.connect().close()
                return
            except psycopg2.OperationalError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"{self.name} ended: see {self.log.name}")
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not answer")

    def connect(self):
        return psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres",
                                dbname="postgres", connect_timeout=3, sslmode="disable")

    def signal(self, number):
        self.process.send_signal(number)

    def query(self, text):
        connection = self.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(text)
            rows = cursor.fetchall() if cursor.description else []
        connection.close()
        return rows


class Cluster:
    def __init__(self, args, folder):
        self.build = os.path.join(ROOT, "build", args.build)
        self.folder, self.etcd = folder, None
        ports = free_ports(5)
        if args.etcd:
            self.etcd_ports = ports[3:]
            self.start_etcd()
            time.sleep(1.5)
            self.ctl = f"etcd://127.0.0.1:{ports[3]}/moves/"
        else:
            self.ctl = "file:" + os.path.join(folder, "ctl")
        self.nodes = [Node(self.build, folder, f"n{i + 1}", ports[i]) for i in range(3)]
        for node in self.nodes:
            node.start()

    def start_etcd(self):
        client, peer = (f"http://127.0.0.1:{port}" for port in self.etcd_ports)
        self.etcd = subprocess.Popen(
            ["etcd", "--data-dir", os.path.join(self.folder, "etcd"), "--listen-client-urls", client,
             "--advertise-client-urls", client, "--listen-peer-urls", peer, "--log-level", "error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def mover(self, *words, **more):
        return subprocess.Popen([os.path.join(self.build, "tusk_mover"), self.ctl, *words],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def run_mover(self, *words):
        process = self.mover(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def map(self):
        code, out, err = self.run_mover("map")
        if code != 0:
            raise RuntimeError("no map: " + err)
        return json.loads(out)

    def owners(self):
        found = self.map()
        return found["epoch"], [g for g in found["groups"] if g["name"] == GROUP][0]["owners"]

    def prepare(self, rows):
        for node in self.nodes:
            self.run_mover("node", node.name, "127.0.0.1", str(node.port))
        self.run_mover("group", GROUP, str(BUCKETS))
        epoch, owners = self.owners()
        buckets = {}
        for number, node in enumerate(self.nodes):
            mine = ",".join(str(b) for b in range(BUCKETS) if owners[b] == number)
            node.query("CREATE TABLE acc (id int PRIMARY KEY, v int NOT NULL, w text) "
                       f"SHARD BY HASH (id) BUCKETS {BUCKETS}")
            node.query("CREATE INDEX ON acc (v)")
            node.query("CREATE TABLE log (id int, n int, PRIMARY KEY (id, n)) "
                       f"SHARD BY HASH (id) BUCKETS {BUCKETS} COLOCATE WITH acc")
            node.query(f"SELECT tusk_assign_buckets('{GROUP}', '{mine}', {epoch})")
            node.query(f"INSERT INTO acc SELECT id, 0, repeat('w', 50) FROM generate_series(1, {rows})"
                       f" id WHERE tusk_bucket('acc', id::text) IN ({mine})")
        buckets.update(self.nodes[0].query(
            f"SELECT id, tusk_bucket('acc', id::text) FROM generate_series(1, {rows}) id"))
        return buckets

    def stop(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.signal(signal.SIGCONT)
                node.process.kill()
                node.process.wait()
        if self.etcd is not None:
            self.etcd.kill()
            self.etcd.wait()


class Client(threading.Thread):
    """A router of sorts: it writes where its map says, and learns only from being refused."""

    def __init__(self, cluster, buckets, number, seed, stop):
        super().__init__(daemon=True)
        self.cluster, self.buckets, self.number, self.stop = cluster, buckets, number, stop
        self.random = random.Random(seed)
        self.epoch, self.owners = cluster.owners()
        self.connections = {}
        self.acked, self.maybe, self.failed = set(), set(), None
        self.waits, self.refused = [], 0
        self.next = number * 10_000_000

    def run(self):
        try:
            while not self.stop.is_set():
                self.write()
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error

    def connection(self, node):
        if node not in self.connections:
            self.connections[node] = self.cluster.nodes[node].connect()
        return self.connections[node]

    def write(self):
        row = self.random.randrange(1, len(self.buckets) + 1)
        bucket = self.buckets[row]
        self.next += 1
        began = time.monotonic()
        while not self.stop.is_set():
            node = self.owners[bucket]
            done = self.try_once(row, bucket, node)
            if done:
                self.waits.append((began, time.monotonic() - began, bucket))
                return

    def try_once(self, row, bucket, node):
        sent = False
        try:
            connection = self.connection(node)
            with connection.cursor() as cursor:
                if self.random.random() < 0.7:
                    cursor.execute(f"SET LOCAL tusk.route = 'confined {GROUP}:{bucket}'")
                    cursor.execute("UPDATE acc SET v = v + 1 WHERE id = %s", (row,))
                    if cursor.rowcount != 1:
                        raise AssertionError(f"row {row}: {cursor.rowcount} rows on node {node + 1}")
                    cursor.execute("INSERT INTO log VALUES (%s, %s)", (row, self.next))
                else:  # the insert is what refuses
                    cursor.execute("INSERT INTO log VALUES (%s, %s)", (row, self.next))
                    cursor.execute("UPDATE acc SET v = v + 1 WHERE id = %s", (row,))
                    if cursor.rowcount != 1:
                        raise AssertionError(f"row {row}: {cursor.rowcount} rows on node {node + 1}")
            sent = True
            connection.commit()
            self.acked.add((row, self.next))
            return True
        except psycopg2.OperationalError as error:
            if error.pgcode == "40P01":
                self.roll_back(node)
                return False
            self.lost(node)
        except psycopg2.InterfaceError:
            self.lost(node)
        except psycopg2.Error as error:
            if error.pgcode in ("TR003", "TR004", "40001"):
                self.refused += 1
                self.roll_back(node)
                if self.random.random() < 0.7:
                    self.learn(error)
                else:
                    time.sleep(0.01)
                return False
            if error.pgcode in ("57P01", None):
                self.lost(node)
            else:
                raise
        if sent:
            self.maybe.add((row, self.next))
            return True
        return False

    def learn(self, error):
        words = dict(w.split("=") for w in (error.diag.message_detail or "").split() if "=" in w)
        names = [n.name for n in self.cluster.nodes]
        if error.pgcode == "TR003" and words.get("node") in names:
            self.owners[int(words["bucket"])] = names.index(words["node"])
            self.epoch = max(self.epoch, int(words["epoch"]))
        elif self.random.random() < 0.2 or error.pgcode == "TR003":
            try:
                self.epoch, self.owners = self.cluster.owners()
            except (RuntimeError, subprocess.TimeoutExpired):
                time.sleep(0.05)
        else:
            time.sleep(0.005)

    def roll_back(self, node):
        try:
            self.connections[node].rollback()
        except psycopg2.Error:
            self.lost(node)

    def lost(self, node):
        connection = self.connections.pop(node, None)
        if connection is not None:
            connection.close()
        time.sleep(0.05)


class Reader(threading.Thread):
    """All rows at one stamp: as many as there are, and each increment with its log."""

    def __init__(self, cluster, rows, stop):
        super().__init__(daemon=True)
        self.cluster, self.rows, self.stop = cluster, rows, stop
        self.good, self.refused, self.failed = 0, 0, None

    def run(self):
        while not self.stop.is_set() and self.failed is None:
            try:
                self.look()
            except (psycopg2.Error, RuntimeError, subprocess.TimeoutExpired):
                self.refused += 1
                time.sleep(0.02)
            except AssertionError as error:
                self.failed = error

    def look(self):
        epoch, owners = self.cluster.owners()
        nodes = self.cluster.nodes
        stamp = nodes[random.randrange(3)].query("SELECT tusk_hlc()")[0][0]
        counts = [0, 0, 0]
        for number, node in enumerate(nodes):
            mine = ",".join(str(b) for b in range(BUCKETS) if owners[b] == number)
            route = f"read_at={stamp}" + (f" {GROUP}:{mine}" if mine else "")
            connection = node.connect()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL tusk.route = '{route}'")
                    cursor.execute("SELECT (SELECT count(*) FROM acc), (SELECT sum(v) FROM acc), "
                                   "(SELECT count(*) FROM log)")
                    counts = [a + int(b or 0) for a, b in zip(counts, cursor.fetchone())]
            finally:
                connection.close()
        assert counts[0] == self.rows, f"{counts[0]} rows of {self.rows} at {stamp}"
        assert counts[1] == counts[2], f"sum {counts[1]}, log {counts[2]} at {stamp}"
        self.good += 1


def check(cluster, rows, clients):
    """What is there when all is quiet."""
    _, owners = cluster.owners()
    seen, values, log, owned = {}, {}, set(), {}
    for number, node in enumerate(cluster.nodes):
        for row, value, bucket in node.query("SELECT id, v, tusk_bucket('acc', id::text) FROM acc"):
            assert row not in seen, f"row {row} is on {seen[row] + 1} and {number + 1}"
            assert owners[bucket] == number, f"row {row} of bucket {bucket} is on n{number + 1}"
            seen[row], values[row] = number, value
        for row, count in node.query("SELECT id, n FROM log"):
            assert (row, count) not in log, f"log {row}, {count} twice"
            assert seen.get(row) == number, f"log of {row} is on n{number + 1}"
            log.add((row, count))
        for bucket, state in node.query("SELECT bucket, state FROM tusk_buckets"):
            assert state in ("owned", "gone"), f"bucket {bucket} is {state} on n{number + 1}"
            if state == "owned":
                assert bucket not in owned, f"bucket {bucket} has two owners"
                owned[bucket] = number
    assert len(seen) == rows, f"{len(seen)} rows of {rows}"
    assert owned == dict(enumerate(owners)), f"{owned} and the map {owners}"
    counts = {}
    for row, _ in log:
        counts[row] = counts.get(row, 0) + 1
    for row, value in values.items():
        assert value == counts.get(row, 0), f"row {row}: {value}, log {counts.get(row, 0)}"
    acked = set().union(*(c.acked for c in clients))
    maybe = set().union(*(c.maybe for c in clients))
    assert acked <= log, f"lost: {sorted(acked - log)[:5]}"
    assert log <= acked | maybe, f"from nowhere: {sorted(log - acked - maybe)[:5]}"
    return len(log)


def cut(cluster, stamp):
    """How many rows all nodes have at the stamp; none of them is told which buckets to have."""
    rows = 0
    for node in cluster.nodes:
        connection = node.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL tusk.route = 'read_at={stamp}'")
                cursor.execute("SELECT count(*) FROM acc")
                rows += cursor.fetchone()[0]
        finally:
            connection.close()
    return rows


def ahead(cluster, rows):
    """MV5: a bucket goes to a node whose clock is far ahead, while a cut of just before is read."""
    _, owners = cluster.owners()
    bucket = 0
    giver, taker = cluster.nodes[owners[bucket]], cluster.nodes[(owners[bucket] + 1) % 3]
    stamp = taker.query("SELECT tusk_hlc()")[0][0] + (10_000_000 << 12)
    taker.query(f"SET tusk.route = 'hlc={stamp}'; SELECT count(*) FROM acc")
    assert giver.query("SELECT tusk_hlc()")[0][0] < stamp <= taker.query("SELECT tusk_hlc()")[0][0]
    code, _, err = cluster.run_mover("move", GROUP, str(bucket), taker.name)
    assert code == 0, err
    try:
        found = cut(cluster, stamp)
        assert found == rows, f"{found} rows of {rows} at {stamp}, before the bucket came"
    except psycopg2.Error as error:
        assert error.pgcode in ("TR003", "TR004"), error
    found = cut(cluster, max(node.query("SELECT tusk_hlc()")[0][0] for node in cluster.nodes))
    assert found == rows, f"{found} rows of {rows}"


def torture(args, cluster):
    rng = random.Random(args.seed)
    rows = 1500
    buckets = cluster.prepare(rows)
    stop = threading.Event()
    clients = [Client(cluster, buckets, i, args.seed * 100 + i, stop) for i in range(4)]
    reader = Reader(cluster, rows, stop)
    for thread in clients + [reader]:
        thread.start()
    until = time.monotonic() + args.seconds
    moves = kills = pauses = 0
    while time.monotonic() < until:
        bucket, node = rng.randrange(BUCKETS), rng.choice(cluster.nodes)
        movers = [cluster.mover("move", GROUP, str(bucket), node.name)]
        if rng.random() < 0.3:
            movers.append(cluster.mover("resume"))
        moves += 1
        time.sleep(rng.random() * 0.25)
        what = rng.random()
        if what < 0.25:
            movers[0].kill()
            kills += 1
        elif what < 0.45:  # longer than its lease
            movers[0].send_signal(signal.SIGSTOP)
            other = cluster.mover("resume")
            time.sleep(rng.choice([0.5, 4]))
            movers[0].send_signal(signal.SIGCONT)
            movers.append(other)
            pauses += 1
        elif what < 0.6:
            victim = rng.choice(cluster.nodes)
            victim.signal(signal.SIGKILL)
            victim.process.wait()
            victim.start()
            kills += 1
        elif what < 0.7:
            victim = rng.choice(cluster.nodes)
            victim.signal(signal.SIGSTOP)
            time.sleep(rng.random())
            victim.signal(signal.SIGCONT)
            pauses += 1
        for mover in movers:
            try:
                mover.communicate(timeout=rng.choice([1, 30]))
            except subprocess.TimeoutExpired:
                mover.kill()
                mover.communicate()
    time.sleep(3.5)  # leases
    code, _, err = cluster.run_mover("resume")
    assert code == 0, f"the moves do not end: {err}"
    stop.set()
    for thread in clients + [reader]:
        thread.join(timeout=60)
        assert thread.failed is None, thread.failed
    written = check(cluster, rows, clients)
    ahead(cluster, rows)
    print(f"{moves} moves begun, {kills} kills, {pauses} pauses; {written} increments, "
          f"{sum(c.refused for c in clients)} refused; {reader.good} cuts read, "
          f"{reader.refused} refused")
    assert reader.good > 0 and written > 0


def wait_stopped(process):
    """Whether it has stopped itself, or has ended."""
    for _ in range(3000):
        if process.poll() is not None:
            return False
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            if file.read().rsplit(")", 1)[1].split()[0] == "T":
                return True
        time.sleep(0.01)
    raise AssertionError("the mover neither stops nor ends")


def states_of(cluster, bucket):
    return [dict(node.query("SELECT bucket, state FROM tusk_buckets")).get(bucket, "elsewhere")
            for node in cluster.nodes]


def one_case(cluster, bucket, target, step, victim, action):
    """The mover has just done this step; then this happens to one process. How the bucket was then,
    and who ended the move."""
    _, owners = cluster.owners()
    mover = cluster.mover("move", GROUP, str(bucket), f"n{target + 1}",
                          env=dict(os.environ, TUSK_MOVER_STOP=step))
    stopped = wait_stopped(mover)
    assert stopped or step == "piece", f"the mover does not come to {step}: {mover.communicate()}"
    states = states_of(cluster, bucket)
    was = f"{states[owners[bucket]]}/{states[target]}"
    process = {"mover": mover, "control": cluster.etcd, "old": cluster.nodes[owners[bucket]].process,
               "new": cluster.nodes[target].process}[victim]
    if action == "kill":
        process.kill()
        process.wait()
        if victim == "control":
            cluster.start_etcd()
        elif victim != "mover":
            cluster.nodes[owners[bucket] if victim == "old" else target].start()
        if victim != "mover":
            mover.send_signal(signal.SIGCONT)
    else:   # longer than the mover's lease; another one begins
        if victim != "mover":
            process.send_signal(signal.SIGSTOP)
            mover.send_signal(signal.SIGCONT)
        other = cluster.mover("resume")
        time.sleep(3.6)
        process.send_signal(signal.SIGCONT)
        other.communicate(timeout=60)
    try:
        said = mover.communicate(timeout=60)[0]
    finally:
        mover.kill()
    by = "itself" if "pause_us" in said else "another"
    for _ in range(100):   # of a mover that was killed the lease is still there
        code, _, err = cluster.run_mover("resume")
        states = states_of(cluster, bucket)
        if code == 0 and sorted(states) != states and states.count("owned") == 1 and "sent" not in states \
                and "handing" not in states:
            break
        time.sleep(0.1)
    _, owners = cluster.owners()
    assert states[target] == "owned" and states.count("owned") == 1 and "sent" not in states, (states, err)
    assert owners[bucket] == target, (owners, target)
    return was, by


def steps(args, cluster):
    rng = random.Random(args.seed)
    rows = 1500
    buckets = cluster.prepare(rows)
    names = cluster.run_mover("steps")[1].split()
    cases = [(step, victim, action) for step in names for victim in ("mover", "old", "new", "control")
             for action in ("kill", "stop") if victim != "control" or cluster.etcd is not None]
    if args.cases:
        cases = rng.sample(cases, args.cases)
    stop = threading.Event()
    clients = [Client(cluster, buckets, i, args.seed * 100 + i, stop) for i in range(4)]
    reader = Reader(cluster, rows, stop)
    for thread in clients + [reader]:
        thread.start()
    table = {}
    for step, victim, action in cases:
        bucket = rng.randrange(BUCKETS)
        _, owners = cluster.owners()
        target = rng.choice([i for i in range(3) if i != owners[bucket]])
        before = sum(len(c.acked) for c in clients)
        was, by = one_case(cluster, bucket, target, step, victim, action)
        for thread in clients + [reader]:
            assert thread.failed is None, (step, victim, action, thread.failed)
        table[step, victim, action] = by
        table[step] = was
        print(f"{step:9} {victim:8} {action:5} bucket was {was:17} ended by {by:8} "
              f"{sum(len(c.acked) for c in clients) - before} increments", flush=True)
    stop.set()
    for thread in clients + [reader]:
        thread.join(timeout=60)
        assert thread.failed is None, thread.failed
    written = check(cluster, rows, clients)
    print(f"{len(cases)} cases; {written} increments, {sum(c.refused for c in clients)} refused; "
          f"{reader.good} cuts read, {reader.refused} refused")


def pause(args, cluster):
    rows = args.rows
    buckets = cluster.prepare(rows)
    stop = threading.Event()
    clients = [Client(cluster, buckets, i, i, stop) for i in range(args.clients)]
    for client in clients:
        client.start()
    time.sleep(1)
    before = sum(len(c.waits) for c in clients)
    time.sleep(4)
    calm = (sum(len(c.waits) for c in clients) - before) / 4
    rng, pauses, sents, alls, spans = random.Random(args.seed), [], [], [], []
    while len(pauses) < args.moves:
        bucket = rng.randrange(BUCKETS)
        _, owners = cluster.owners()
        target = rng.choice([i for i in range(3) if i != owners[bucket]])
        began = time.monotonic()
        code, out, err = cluster.run_mover("move", GROUP, str(bucket), f"n{target + 1}")
        assert code == 0, err
        said = json.loads(out)
        pauses.append(said["pause_us"] / 1000)
        sents.append(said.get("sent_us", 0) / 1000)
        alls.append(said["all_us"] / 1000)
        spans.append((began, time.monotonic() + 0.2, bucket))
    stop.set()
    for client in clients:
        client.join()
        assert client.failed is None, client.failed
    check(cluster, rows, clients)
    waits = [w for c in clients for w in c.waits]
    worst = [max([w for at, w, b in waits if b == bucket and begin <= at <= end], default=0) * 1000
             for begin, end, bucket in spans]
    usual = sorted(w * 1000 for _, w, _ in waits)

    def at(values, share):
        values = sorted(values)
        return values[min(len(values) - 1, int(len(values) * share))]
    print(f"{len(pauses)} moves of {rows // BUCKETS} rows, {args.clients} clients, "
          f"{len(waits)} transactions")
    during = sum(end - begin - 0.2 for begin, end, _ in spans)
    inside = sum(1 for began, _, _ in waits if any(b <= began < e - 0.2 for b, e, _ in spans))
    print(f"  transactions a second: {calm:.0f} without a move, {inside / during:.0f} beside moves")
    for name, values in (("write stop of the bucket, ms (mover)", pauses),
                         ("old node refuses to read all of a table, ms (mover)", sents),
                         ("the whole move, ms", alls),
                         ("longest transaction in a moved bucket, ms (clients)", worst),
                         ("all transactions, ms", usual)):
        print(f"  {name:52} p50 {at(values, .5):7.1f}  p99 {at(values, .99):7.1f}"
              f"  max {max(values):7.1f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--etcd", action="store_true")
    parser.add_argument("--pause", action="store_true")
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--cases", type=int, default=0)
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--rows", type=int, default=24000)
    parser.add_argument("--buckets", type=int, default=BUCKETS)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    globals()["BUCKETS"] = args.buckets
    folder = tempfile.mkdtemp(prefix="tusk_moves_")
    cluster = Cluster(args, folder)
    good = False
    try:
        (pause if args.pause else steps if args.steps else torture)(args, cluster)
        good = True
    finally:
        cluster.stop()
        if good and not args.keep:
            shutil.rmtree(folder)
        else:
            print(f"left: {folder}; again: {' '.join(sys.argv)} --seed {args.seed}")
    for node in cluster.nodes if args.keep else []:
        subprocess.run([os.path.join(cluster.build, "tuskd"), "-D", node.folder, "--check"],
                       check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
