#!/usr/bin/env python3
"""Histories of many clients against a real server, and whether they could have been serial.

    tests/isolation/checker.py [--spawn BUILD | --postgres | --host H --port N] [--level LEVEL]
                               [--clients 8] [--seconds 10] [--kill SECONDS] [--seed N] [--expect WHAT]
                               [--idle-snapshot] [--forever]

In the manner of Elle (Kingsbury and Alvaro, 2020). Clients append unique numbers to lists, read lists,
put unique members into sets and read all members in a range of sets (a predicate). A list read shows
the order of its versions, a set read shows which members were there; so every dependency is known:

    ww  appended right after     wr  read what it wrote     rw  read what was before its write
    rt  began after the other had been acknowledged (strictness)

A cycle is an anomaly. It is named by the least it needs: G0 (ww), G1c (ww, wr), G-single (one rw),
G2-item (more rw, on lists), G2 (predicate reads among them); `-rt` if real time is among the edges.
G1a (read of what was aborted), G1b (of what was intermediate), lost writes and torn transactions are
looked for, too.

--kill: kill -9 of the spawned server every so often; commits without an answer are then of unknown
outcome: whatever of them is found must be there as a whole. --expect none (the default at SERIALIZABLE)
or `G2`: at REPEATABLE READ write skew must be found, else the checker sees nothing.
--idle-snapshot: one session keeps an old serializable snapshot open, so that nothing may be forgotten.
"""
import argparse
import os
import random
import socket
import sys
import threading
import time
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import isolation
import pgwire
from server import Checks, Server

RETRY = ("40001", "40P01", "23505", "55P03", "25P02")
GONE = (pgwire.ConnectionLost, OSError, socket.timeout)


class Transaction:
    __slots__ = ("number", "ops", "start", "end", "result", "why")

    def __init__(self, number):
        self.number = number
        self.ops = []       # ("append", key, n) ("read", key, [n]) ("put", at, n) ("range", a, b, {n})
        self.start = self.end = None
        self.result = "unknown"
        self.why = None


class World:
    """What the clients share."""

    def __init__(self, options):
        self.options = options
        self.latch = threading.Lock()
        self.number = 0
        self.first_key = 0
        self.history = []
        self.stop = False
        self.target = None
        self.broken = []

    def next_number(self):
        with self.latch:
            self.number += 1
            return self.number

    def keys(self):
        # Lists stay short: the window moves on.
        first = self.number // 400 * 2
        return range(first, first + self.options.keys)

    @staticmethod
    def first_place(key):
        return key // 2 * 100


class Client(threading.Thread):
    def __init__(self, world, index):
        super().__init__(daemon=True)
        self.world, self.index = world, index
        self.random = random.Random(f"{world.options.seed} {index}")
        self.connection = None

    def run(self):
        while not self.world.stop:
            try:
                if self.connection is None:
                    self.connection = pgwire.connect(**self.world.target, timeout=30)
                    self.connection.query("set default_transaction_isolation = "
                                          f"'{self.world.options.level}'")
                self.one()
            except GONE:
                self.connection = None
                time.sleep(0.05)
            except pgwire.Error as error:
                self.connection = None
                if error.sqlstate[:3] != "57P":
                    self.world.broken.append(str(error))
                    time.sleep(0.2)
        if self.connection:
            self.connection.close()

    def one(self):
        chance, connection = self.random, self.connection
        txn = Transaction(self.world.next_number())
        with self.world.latch:
            self.world.history.append(txn)
        count = 0
        read_only = chance.random() < 0.15
        steps = chance.choice((1, 2, 2, 3, 3, 4, 6))
        savepoint = chance.random() < 0.1
        txn.start = time.monotonic()
        try:
            connection.query("begin read only" if read_only and chance.random() < 0.5 else "begin")
            for _ in range(steps):
                count += 1
                self.step(txn, txn.number * 16 + count, read_only)
                if savepoint and not read_only and chance.random() < 0.3:
                    self.undone(txn.number * 16 + count)
            if not read_only and chance.random() < 0.05:
                connection.query("rollback")
                txn.result = "aborted"
            else:
                tag = connection.query("commit")[-1].tag
                txn.result = "committed" if tag == "COMMIT" else "aborted"
        except pgwire.Error as error:
            if error.sqlstate not in RETRY:
                raise
            txn.result, txn.why = "aborted", error.sqlstate
            if connection.status != "I":
                connection.query("rollback")
        txn.end = time.monotonic()

    def undone(self, number):
        """Work that is rolled back to a savepoint: must never be seen."""
        key = self.random.choice(self.world.keys())
        self.connection.query("savepoint s")
        self.connection.query(f"update item set v = v || ',{number + 8}' where k = {key}")
        self.connection.query("rollback to s")

    def step(self, txn, number, read_only):
        chance, connection = self.random, self.connection
        what = chance.random()
        key = chance.choice(self.world.keys())
        first = self.world.first_place(key)
        if read_only:
            what = 0.4 if what < 0.6 else 0.9
        if what < 0.35:
            if connection.query(f"update item set v = v || ',{number}' where k = {key}")[-1].tag \
                    == "UPDATE 0":
                connection.query(f"insert into item values ({key}, '{number}')")
            txn.ops.append(("append", key, number))
        elif what < 0.6:
            rows = connection.rows(f"select v from item where k = {key}")
            txn.ops.append(("read", key, [int(n) for n in rows[0][0].split(",")] if rows else []))
        elif what < 0.8:
            place = first + chance.randrange(self.world.options.places)
            connection.query(f"insert into member values ({number}, {place}, {chance.randrange(3)}, {place})")
            txn.ops.append(("put", place, number))
        else:
            low = first + chance.randrange(self.world.options.places)
            high = low + chance.randrange(4)
            column, kind = chance.choice((("p", None), ("p", None), ("q", None)) if high - low < 3
                                         else (("p", None), ("p", 1)))
            text = f"select n from member where {column} between {low} and {high}"
            if kind is not None:
                text += f" and kind = {kind}"
            txn.ops.append(("range", (low, high, kind), frozenset(int(n) for n, in connection.rows(text))))


# ---- the graph ----------------------------------------------------------------------------------

class Graph:
    def __init__(self):
        self.out = defaultdict(dict)        # node -> {node: set of kinds}

    def add(self, a, b, kind):
        if a != b:
            self.out[a].setdefault(b, set()).add(kind)


def components(nodes, successors):
    """Tarjan's, without recursion. Those of more than one node."""
    index, low, on, stack, found, counter = {}, {}, set(), [], [], 0
    for root in nodes:
        if root in index:
            continue
        work = [(root, iter(successors(root)))]
        index[root] = low[root] = counter
        counter += 1
        stack.append(root)
        on.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = counter
                    counter += 1
                    stack.append(other)
                    on.add(other)
                    work.append((other, iter(successors(other))))
                    break
                if other in on:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        other = stack.pop()
                        on.discard(other)
                        component.append(other)
                        if other == node:
                            break
                    if len(component) > 1:
                        found.append(component)
    return found


def shortest_cycle(component, out, kinds, single=None):
    """A cycle of edges of these kinds; with `single`: exactly one edge of those kinds first."""
    inside = set(component)
    best = None
    for start in component[:200]:
        firsts = [(start, None)] if single is None else \
            [(other, start) for other, have in out[start].items() if other in inside and have & single]
        for first, before in firsts:
            goal = start
            parents, queue = {first: None}, [first]
            reached = None
            if first == goal and single is not None:
                continue
            while queue and reached is None:
                following = []
                for node in queue:
                    for other, have in out.get(node, {}).items():
                        if other in inside and have & kinds:
                            if other == goal:
                                reached = node
                                break
                            if other not in parents:
                                parents[other] = node
                                following.append(other)
                    if reached is not None:
                        break
                queue = following
            if reached is not None:
                path = []
                while reached is not None:
                    path.append(reached)
                    reached = parents[reached]
                path = ([before] if single is not None else []) + path[::-1]
                if best is None or len(path) < len(best):
                    best = path
        if best is not None and len(best) == 2:
            break
    return best


class Analysis:
    def __init__(self, history, final_lists, final_members):
        self.problems = []
        self.by_number = {}
        self.transactions = history
        self.lists, self.members = final_lists, final_members
        self.writer, self.append_key, self.last_append = {}, {}, {}
        self.put_at = {}
        self.graph = Graph()
        self.settle_unknown()
        self.index()
        self.edges()

    def problem(self, kind, words):
        self.problems.append((kind, words))

    def settle_unknown(self):
        """Of unknown outcome: committed if anything of it is there, and then all must be."""
        present = {n for values in self.lists.values() for n in values} | set(self.members)
        for txn in self.transactions:
            wrote = [op[2] for op in txn.ops if op[0] in ("append", "put")]
            there = [n for n in wrote if n in present]
            if txn.result == "unknown":
                txn.result = "committed" if there else "aborted"
                txn.end = float("inf")
            if txn.result == "committed" and len(there) != len(wrote):
                self.problem("lost write", f"T{txn.number}: {sorted(set(wrote) - set(there))}")
            if txn.result == "aborted" and there:
                self.problem("G1a in the end", f"T{txn.number}: {there}")

    def index(self):
        for txn in self.transactions:
            for op in txn.ops:
                if op[0] == "append":
                    self.writer[op[2]] = txn
                    self.last_append[txn.number, op[1]] = op[2]
                elif op[0] == "put":
                    self.writer[op[2]] = txn
                    self.put_at[op[2]] = op[1]
        self.committed = [txn for txn in self.transactions if txn.result == "committed"]
        known = {txn.number: txn for txn in self.committed}
        self.by_number = known
        seen = set()
        for key, values in self.lists.items():
            for n in values:
                if n in seen:
                    self.problem("twice", f"{n} in list {key}")
                seen.add(n)
                if n not in self.writer:
                    self.problem("G1a in the end", f"{n} in list {key} was never appended or undone")

    def edges(self):
        graph = self.graph
        place = {}
        for key, values in self.lists.items():
            for i, n in enumerate(values):
                place[n] = (key, i)
            for a, b in zip(values, values[1:]):
                if a in self.writer and b in self.writer:
                    graph.add(self.writer[a].number, self.writer[b].number, "ww")
        committed_puts = defaultdict(list)      # place -> numbers
        for n in self.members:
            if n in self.put_at:
                committed_puts[self.put_at[n]].append(n)
        for txn in self.committed:
            own = set()
            for op in txn.ops:
                if op[0] in ("append", "put"):
                    own.add(op[2])
                elif op[0] == "read":
                    self.list_read(txn, op[1], op[2], own)
                else:
                    self.range_read(txn, op[1], op[2], committed_puts, own)
        self.real_time()

    def list_read(self, txn, key, values, own):
        final = self.lists.get(key, [])
        for n in values:
            writer = self.writer.get(n)
            if writer is None or writer.result != "committed":
                self.problem("G1a", f"T{txn.number} read {n} of list {key}")
                return
        theirs = [n for n in values if n not in own]
        mine = [n for n in values if n in own]
        if values != theirs + mine or theirs != final[:len(theirs)]:
            self.problem("incompatible order", f"T{txn.number} read {values[-5:]} of list {key}, "
                         f"which became {final[max(0, len(theirs) - 5):len(theirs) + 3]}")
            return
        if theirs:
            last = theirs[-1]
            writer = self.writer[last]
            if self.last_append[writer.number, key] != last:
                self.problem("G1b", f"T{txn.number} read {last} of list {key}")
            self.graph.add(writer.number, txn.number, "wr")
        for n in final[len(theirs):]:
            if n not in own:
                self.graph.add(txn.number, self.writer[n].number, "rw")
                break
            # its own append follows: who comes after that follows by ww

    def range_read(self, txn, where, values, committed_puts, own):
        low, high, kind = where
        for n in values:
            writer = self.writer.get(n)
            if writer is None or writer.result != "committed":
                self.problem("G1a", f"T{txn.number} read member {n}")
                continue
            if writer is not txn:
                self.graph.add(writer.number, txn.number, "wr")
        for at in range(low, high + 1):
            for n in committed_puts.get(at, ()):
                if n not in values and (kind is None or self.members[n] == kind):
                    if n in own:
                        self.problem("own write unseen", f"T{txn.number} put {n}")
                    writer = self.writer[n]
                    if writer is not txn:
                        self.graph.add(txn.number, writer.number, "prw")

    def real_time(self):
        """A chain of moments: what ended before a moment leads to it, it leads to what began after."""
        events = sorted([(txn.end, 0, txn.number) for txn in self.committed if txn.end != float("inf")] +
                        [(txn.start, 1, txn.number) for txn in self.committed])
        moment = None
        for i, (_, starts, number) in enumerate(events):
            if starts:
                if moment is not None:
                    self.graph.add(moment, number, "rt")
            else:
                now = ("moment", i)
                self.graph.add(number, now, "rt")
                if moment is not None:
                    self.graph.add(moment, now, "rt")
                moment = now

    def anomalies(self):
        """{name: [cycle in words]}"""
        found = defaultdict(list)
        for kind, words in self.problems:
            found[kind].append(words)
        out = self.graph.out
        every = {"ww", "wr", "rw", "prw"}
        taken = set()
        for with_time in (False, True):
            kinds = every | ({"rt"} if with_time else set())
            after = lambda node, kinds=kinds: [b for b, have in out.get(node, {}).items() if have & kinds]
            for component in components(list(out), after):
                if any(node in taken for node in component):
                    continue
                taken.update(component)
                name, cycle = self.classify(component, {"rt"} if with_time else set())
                found[name + ("-rt" if with_time else "")].append(self.words(cycle))
        return found

    def classify(self, component, more):
        out = self.graph.out
        for name, kinds, single in (("G0", {"ww"}, None), ("G1c", {"ww", "wr"}, None),
                                    ("G-single", {"ww", "wr"}, {"rw", "prw"}),
                                    ("G2-item", {"ww", "wr", "rw"}, None),
                                    ("G2", {"ww", "wr", "rw", "prw"}, None)):
            # The component of these kinds inside, or none.
            inside = set(component)
            usable = kinds | more | (single or set())
            after = lambda node, usable=usable: [b for b, have in out.get(node, {}).items()
                                                 if b in inside and have & usable]
            for part in components(component, after):
                cycle = shortest_cycle(part, out, kinds | more, single)
                if cycle:
                    return name, cycle
        return "G2", component[:6]

    def words(self, cycle):
        parts = []
        for a, b in zip(cycle, cycle[1:] + cycle[:1]):
            kinds = "/".join(sorted(self.graph.out[a].get(b, ())))
            parts.append(f"{'T' + str(a) if not isinstance(a, tuple) else '(time)'} -{kinds}->")
        text = " ".join(parts)
        for number in cycle:
            if number in self.by_number:
                txn = self.by_number[number]
                text += f"\n      T{number} [{txn.start:.4f}, {txn.end:.4f}]: " + "; ".join(
                    f"{op[0]} {op[1]} {op[2] if not isinstance(op[2], (list, frozenset)) else sorted(op[2])[-4:]}"
                    for op in txn.ops)
        return text


# ---- a run --------------------------------------------------------------------------------------

def create(target):
    with pgwire.connect(**target) as connection:
        for sql in ("drop table if exists item", "drop table if exists member",
                    "create table item (k int primary key, v text)",
                    # q is p, without an index
                    "create table member (n bigint primary key, p int, kind int, q int)",
                    "create index member_p on member (p)"):
            connection.query(sql)


def final(target):
    with pgwire.connect(**target, timeout=120) as connection:
        lists = {int(k): [int(n) for n in v.split(",")]
                 for k, v in connection.rows("select k, v from item")}
        members = {int(n): int(kind) for n, kind in connection.rows("select n, kind from member")}
    return lists, members


def run(target, options, server=None):
    create(target)
    world = World(options)
    world.target = target
    idle = None
    if options.idle_snapshot:
        idle = pgwire.connect(**target, timeout=600)
        idle.query("begin isolation level serializable; select count(*) from item where k = -1")
    clients = [Client(world, i) for i in range(options.clients)]
    for client in clients:
        client.start()
    end = time.monotonic() + options.seconds
    kills = 0
    while time.monotonic() < end:
        time.sleep(min(options.kill or 1, max(0.0, end - time.monotonic()) + 0.01))
        if options.kill and server is not None and time.monotonic() < end:
            server.kill()
            server.start()
            kills += 1
    world.stop = True
    for client in clients:
        client.join(60)
    if idle:
        idle.sock.close()
    lists, members = final(target)
    return world, Analysis(world.history, lists, members), kills


def report(checks, options, server_name, world, analysis, kills):
    by_result = defaultdict(int)
    for txn in world.history:
        by_result[txn.result if txn.why is None else f"{txn.result} {txn.why}"] += 1
    found = analysis.anomalies()
    edges = sum(len(following) for following in analysis.graph.out.values())
    print(f"{server_name}, {options.level}, {options.clients} clients, {options.seconds} s, {kills} kills, "
          f"seed {options.seed}{', tiny' if options.tiny else ''}: " + ", ".join(f"{count} {name}" for name, count in sorted(by_result.items()))
          + f"; {edges} edges; " +
          (", ".join(f"{len(cases)} {name}" for name, cases in sorted(found.items())) or "no anomaly"),
          flush=True)
    expect = options.expect or ("none" if options.level == "serializable" else
                                "G2" if options.level == "repeatable read" else "any")
    checks.check("clients", not world.broken, " ".join(world.broken[:2]))
    checks.check("many transactions committed", by_result["committed"] > 50)
    if expect == "none":
        for name, cases in found.items():
            checks.check(f"no {name}", False, "\n    ".join([""] + cases[:3]))
        checks.check("no anomaly", not found)
    elif expect == "G2":
        allowed = {"G2", "G2-item", "G2-rt", "G2-item-rt"}
        checks.check("write skew is found", allowed & set(found))
        for name in set(found) - allowed:
            checks.check(f"no {name}", False, "\n    ".join([""] + found[name][:3]))
    else:
        bad = {name for name in found if name.startswith(("G0", "G1", "lost", "twice", "own"))}
        checks.check("nothing worse than READ COMMITTED allows", not bad, str(bad))
    failed = by_result["aborted 40001"]
    return failed / max(1, failed + by_result["committed"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    isolation.add_arguments(parser)
    parser.add_argument("--level", default="serializable", choices=isolation.LEVELS)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--keys", type=int, default=6)
    parser.add_argument("--places", type=int, default=12)
    parser.add_argument("--kill", type=float, default=0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--idle-snapshot", action="store_true")
    parser.add_argument("--expect", choices=("none", "G2", "any"))
    parser.add_argument("--tiny", action="store_true", help="almost no memory for what was read")
    parser.add_argument("--short", action="store_true", help="what make test runs")
    parser.add_argument("--forever", action="store_true")
    options = parser.parse_args()
    options.seed = options.seed if options.seed is not None else random.randrange(1 << 30)
    checks = Checks()
    if options.short:
        build = options.spawn or "release"
        for level, clients, seconds, kill in (("serializable", 8, 8, 0), ("repeatable read", 8, 4, 0),
                                              ("read committed", 8, 3, 0), ("serializable", 12, 8, 2)):
            options.level, options.clients, options.seconds, options.kill = level, clients, seconds, kill
            once(checks, options, build)
        options.clients, options.seconds, options.kill = 8, 4, 0
        options.keys, options.places, options.idle_snapshot = 100, 200, True
        exact = once(checks, options, build)
        options.tiny = True
        tiny = once(checks, options, build)
        print(f"attempts that failed with 40001: {exact:.1%}; with almost no memory: {tiny:.1%}")
        precision(checks, build)
        return checks.done()
    while True:
        if options.spawn:
            once(checks, options, options.spawn)
        else:
            with isolation.chosen_server(options) as target:
                name = isolation.Runner(target).server
                report(checks, options, name, *run(target, options))
        if not options.forever or checks.failed:
            return checks.done()
        options.seed += 1


# What is read in a table is one range, and all but the last four are summarised.
TINY = [word for setting in ("ranges_max=1", "transactions_max=4", "stubs_max=64")
        for word in ("--set", "serializable_" + setting)]


def fails(connection, *statements):
    try:
        for sql in statements:
            connection.query(sql)
        return False
    except pgwire.Error as error:
        connection.query("rollback")
        if error.sqlstate != "40001":
            raise
        return True


def precision(checks, build):
    """With almost no memory two executions fail that are right, and with enough they do not."""
    read, write = "select v from precise where k = {}", "update precise set v = v + 1 where k = {}"
    begin = "begin isolation level serializable"
    for name, arguments in (("enough memory", []), ("almost none", TINY)):
        with Server(build, arguments) as server:
            a, b = pgwire.connect(port=server.port), pgwire.connect(port=server.port)
            a.query("create table precise (k int primary key, v int)")
            a.query("insert into precise select k, 0 from generate_series(1, 99) k")
            # Each writes between the two rows that the other has read.
            for connection, low in ((a, 10), (b, 30)):
                connection.query("; ".join((begin, read.format(low), read.format(low + 2))))
            ranges = [fails(a, write.format(31), "commit"), fails(b, write.format(11), "commit")]
            # Somebody has read what `a` then writes, and others have written what `a` has read, but later.
            a.query("; ".join((begin, read.format(50))))
            b.query("; ".join((begin, read.format(60), write.format(61), "commit")))
            for k in range(70, 90):
                b.query("; ".join((begin, read.format(k), write.format(k), "commit")))
            b.query("; ".join((begin, write.format(50), "commit")))
            summary = fails(a, write.format(60), "commit")
            checks.check(f"ranges merge ({name})", any(ranges) == bool(arguments), str(ranges))
            checks.check(f"transactions are summarised ({name})", summary == bool(arguments))
            a.close()
            b.close()


def once(checks, options, build):
    arguments = TINY if options.tiny else []
    with Server(build, arguments) as server:
        target = {"host": "127.0.0.1", "port": server.port, "user": "postgres", "database": "postgres",
                  "password": None}
        return report(checks, options, "tusk", *run(target, options, server))


if __name__ == "__main__":
    sys.exit(main())
