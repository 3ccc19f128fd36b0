"""Clients with a memory: the workloads of serializable.py, and which failures were needed.

Every row has a column writer, the number of the transaction that wrote it last. Clients read it with the row
(an update returns the one before), so each remembers which versions it has read and replaced, also when it is
told to try again. From those that committed comes the exact graph:

    wr, ww   who read, or replaced, a version comes after who wrote it
    rw       who read a version comes before who replaced it

A transaction that failed by reads and writes had to if the graph, with it as if it had committed, has a cycle
through it. It counts with what it had read and written and with what it was just at; what it would have done
afterwards nobody knows. (A version that it did not get to see is the last one committed before it began.)
Rows that are not there are versions, too: number 0.
"""
import random
import threading
import time
from collections import defaultdict

from common import pgwire

CUSTOMERS, HOT = 1000, 50       # SmallBank's
WAREHOUSES, DISTRICTS, BUYERS, ITEMS = 2, 10, 300, 1000
BATCH_ROWS = 20000


class Attempt:
    __slots__ = ("number", "reads", "writes", "trying", "start", "end", "result")

    def __init__(self, number):
        self.number = number
        self.reads = {}         # item -> the version
        self.writes = {}        # item -> the version that was replaced
        self.trying = ((), ())  # items that it was about to read, and to write
        self.start = self.end = self.result = None


class Client(threading.Thread):
    """One session; `work` is a workload's function: it gets the client and its random numbers."""

    def __init__(self, port, index, work, shared):
        super().__init__(daemon=True)
        self.index, self.work, self.shared = index, work, shared
        self.random = random.Random(f"{shared['first']} {index}")   # keys of an earlier run stand there
        self.connection = pgwire.connect(port=port, timeout=120)
        self.connection.query("set default_transaction_isolation = 'serializable'")
        self.count = 0
        self.memory = {}        # a workload's own, of this session
        self.attempts = []
        self.error = None

    # ---- what workloads do; an item is (table, key)

    def read(self, table, where, columns="0"):
        """The one row of that key; None if there is none."""
        now, item = self.now, (table, where)
        now.trying = ((item,), ())
        rows = self.connection.rows(f"select writer, {columns} from {table} where {where}")
        now.reads.setdefault(item, int(rows[0][0]) if rows else 0)
        now.trying = ((), ())
        return rows[0][1:] if rows else None

    def write(self, table, where, change, columns="0"):
        """The row as it is then; which version it was before, the same statement tells."""
        now, item = self.now, (table, where)
        now.trying = ((item,), (item,))
        row, = self.connection.rows(
            f"update {table} set {change}, writer = {now.number} from (select writer as old from {table} "
            f"where {where}) as before where {where} returning old, {columns}")
        now.reads.setdefault(item, int(row[0]))
        now.writes.setdefault(item, int(row[0]))
        now.trying = ((), ())
        return row[1:]

    def insert(self, table, where, values):
        now, item = self.now, (table, where)
        now.trying = ((), (item,))
        self.connection.query(f"insert into {table} values ({values}, {now.number})")
        now.writes[item] = 0
        now.trying = ((), ())

    def scan(self, table, key, text, all_keys):
        """Rows by a query that gives their keys first, then the writer. all_keys: those it may come to."""
        now = self.now
        now.trying = ([(table, f"{key} = {k}") for k in all_keys], ())
        rows = self.connection.rows(text)
        for row in rows:
            now.reads.setdefault((table, f"{key} = {row[0]}"), int(row[1]))
        now.trying = ((), ())
        return rows

    # ---- the loop

    def run(self):
        try:
            while not self.shared["stop"]:
                draw = self.random.random()     # a retry is the same transaction
                while not self.attempt(draw) and not self.shared["stop"]:
                    pass
        except (pgwire.Error, pgwire.ConnectionLost, OSError) as error:
            self.error = error
        self.connection.close()

    def attempt(self, draw):
        self.count += 1
        self.now = now = Attempt(self.shared["first"] + self.index * 10_000_000 + self.count)
        self.attempts.append(now)
        try:
            self.connection.query("begin")
            now.start = time.monotonic()        # the snapshot is taken by what follows
            self.work(self, random.Random(draw))
            self.connection.query("commit")
            now.result = "committed"
        except pgwire.Error as error:
            if error.sqlstate not in ("40001", "40P01"):
                raise
            now.result = "rw" if "read/write" in error.message else "ww"
            if self.connection.status != "I":
                self.connection.query("rollback")
        now.end = time.monotonic()
        return now.result == "committed"


# ---- the workloads ------------------------------------------------------------------------------

def by_uuid(client, chance):
    key = f"k = md5('{chance.random()}-{client.index}')::uuid"
    client.read("by_uuid", key)
    client.insert("by_uuid", key, f"{key[4:]}, {client.index}")


def by_number(client, chance):
    del chance
    earlier = client.shared["first"] // 10_000_000_000 % 1000 * 100_000
    client.memory["n"] = n = client.memory.get("n", earlier) + 1
    text = f"'order-{1100000000 + n * 64 + client.index}'"
    client.read("by_number", f"k = {text}")
    client.insert("by_number", f"k = {text}", f"{text}, {client.index}")


def filtered(client, chance):
    owner = client.index % 32
    client.scan("filtered", "id", f"select id, writer, v from filtered where owner = {owner}",
                range(owner, 960, 32))
    client.write("filtered", f"id = {chance.randrange(30) * 32 + owner}", "v = v + 1")


def smallbank(client, chance):
    who, other = (f"id = {chance.randint(1, HOT if chance.random() < 0.9 else CUSTOMERS)}" for _ in range(2))

    def balance(table):
        return int(client.read(table, who, "bal")[0])

    what = chance.randrange(5)
    if what == 0:
        balance("saving"), balance("checking")
    elif what == 1:
        client.write("checking", who, "bal = bal + 5")
    elif what == 2:
        client.write("saving", who, "bal = bal + 20")
    elif what == 3:
        total = balance("saving") + balance("checking")
        client.write("saving", who, "bal = 0")
        client.write("checking", who, "bal = 0")
        client.write("checking", other, f"bal = bal + {total}")
    else:
        total = balance("saving") + balance("checking")
        client.write("checking", who, f"bal = bal - {10 + (total < 10)}")


def sibench(client, chance):
    if chance.random() < 0.5:
        client.scan("sitest", "id", "select id, writer, value from sitest order by value", range(1, 101))
    else:
        client.write("sitest", f"id = {chance.randint(1, 100)}", "value = value + 1")


def tpcb(client, chance):
    delta = chance.randint(-5000, 5000)
    account, teller, branch = chance.randint(1, 1000000), chance.randint(1, 100), chance.randint(1, 10)
    client.write("pgbench_accounts", f"aid = {account}", f"abalance = abalance + {delta}")
    client.read("pgbench_accounts", f"aid = {account}", "abalance")
    client.write("pgbench_tellers", f"tid = {teller}", f"tbalance = tbalance + {delta}")
    client.write("pgbench_branches", f"bid = {branch}", f"bbalance = bbalance + {delta}")
    client.connection.query("insert into pgbench_history (tid, bid, aid, delta, mtime) values "
                            f"({teller}, {branch}, {account}, {delta}, current_timestamp)")


def orders(client, chance):
    w, d, c = chance.randint(1, WAREHOUSES), chance.randint(1, DISTRICTS), chance.randint(1, BUYERS)
    warehouse, district, customer = f"w = {w}", f"w = {w} and d = {d}", f"w = {w} and d = {d} and c = {c}"
    if chance.random() < 0.5:
        client.write("customer", customer, "balance = balance - 10")
        client.write("district", district, "ytd = ytd + 10")
        client.write("warehouse", warehouse, "ytd = ytd + 10")
        client.connection.query(f"insert into payment values ({w}, {d}, {c}, 10)")
        return
    client.read("warehouse", warehouse, "tax")
    order = client.write("district", district, "next_o = next_o + 1", "next_o")[0]
    client.read("customer", customer, "discount")
    named = f"{district} and o = {order}"
    client.insert("orders", named, f"{w}, {d}, {order}, {c}, 4")
    client.insert("new_order", named, f"{w}, {d}, {order}")
    for n in range(4):
        item = chance.randint(n * ITEMS // 4 + 1, (n + 1) * ITEMS // 4)
        client.read("item", f"i = {item}", "price")
        client.write("stock", f"w = {w} and i = {item}", "quantity = quantity - 1")
        client.insert("order_line", f"{named} and n = {n}", f"{w}, {d}, {order}, {n}, {item}")


def batch(client, chance):
    if chance.random() * 200 < 1:
        rows = client.scan("hot", "id", "select id, writer, v from hot", range(1, BATCH_ROWS + 1))
        client.connection.query(f"insert into report values ({client.index}, {sum(int(row[2]) for row in rows)})")
    else:
        client.read("control", "id = 1", "today")
        client.write("hot", f"id = {chance.randint(1, BATCH_ROWS)}", "v = v + 1")


# letter, words, function, tables
WORKLOADS = (
    ("a", "inserts, UUID", by_uuid, ("by_uuid",)),
    ("a", "inserts, numbers", by_number, ("by_number",)),
    ("b", "filtered scans", filtered, ("filtered",)),
    ("c", "SmallBank", smallbank, ("saving", "checking")),
    ("d", "SIBENCH", sibench, ("sitest",)),
    ("e", "TPC-B", tpcb, ("pgbench_accounts", "pgbench_tellers", "pgbench_branches")),
    ("f", "new-order, payment", orders,
     ("warehouse", "district", "customer", "item", "stock", "orders", "new_order", "order_line")),
    ("g", "batch reader", batch, ("control", "hot")),
)


# ---- the graph ----------------------------------------------------------------------------------

class Graph:
    """Of the transactions that committed."""

    def __init__(self, attempts):
        self.committed = {a.number: a for a in attempts if a.result == "committed"}
        self.next_writer = {}                       # (item, version) -> who replaced it
        self.readers = defaultdict(list)            # (item, version) -> [attempt]
        self.history = defaultdict(list)            # item -> [(end, writer)]
        for a in self.committed.values():
            for item, version in a.reads.items():
                self.readers[item, version].append(a)
            for item, version in a.writes.items():
                self.next_writer[item, version] = a.number
                self.history[item].append((a.end, a.number))
        for versions in self.history.values():
            versions.sort()
        self.after = {number: self.successors(a) for number, a in self.committed.items()}
        for number, a in self.committed.items():
            for item, version in (*a.reads.items(), *a.writes.items()):
                if version in self.committed and version != number:
                    self.after[version].add(number)             # wr, ww

    def successors(self, a):
        """Who replaced what it read."""
        found = {self.next_writer.get((item, version)) for item, version in a.reads.items()}
        return found - {None, a.number}

    def version_at(self, item, moment):
        before = [writer for end, writer in self.history[item] if end < moment]
        return before[-1] if before else 0

    def is_needed(self, a):
        """Would there be a cycle through it, had it committed?"""
        reads, writes = dict(a.reads), dict(a.writes)
        for item in (*a.trying[0], *a.trying[1]):
            if item not in reads:
                reads[item] = self.version_at(item, a.start)
        for item in a.trying[1]:
            writes.setdefault(item, reads[item])
        after = {self.next_writer.get(read) for read in reads.items()} - {None}
        before = {version for version in reads.values() if version in self.committed}
        for written in writes.items():
            # Who began later would have read what it wrote.
            before |= {b.number for b in self.readers[written] if b.start < a.end}
        if not before:
            return False
        # Nobody precedes one that had ended before he began.
        latest = max(self.committed[number].end for number in before)
        seen, todo = set(after), list(after)
        while todo and not seen & before:
            for number in self.after[todo.pop()]:
                if number not in seen and self.committed[number].start < latest:
                    seen.add(number)
                    todo.append(number)
        return bool(seen & before)

    def is_serial(self):
        """No cycle among those that committed: else the server is wrong, or we are."""
        degree = defaultdict(int)
        for following in self.after.values():
            for number in following:
                degree[number] += 1
        todo = [number for number in self.after if not degree[number]]
        done = 0
        while todo:
            done += 1
            for number in self.after[todo.pop()]:
                degree[number] -= 1
                if not degree[number]:
                    todo.append(number)
        return done == len(self.after)


def prepare(server):
    """Every row says who wrote it."""
    with pgwire.connect(port=server.port, timeout=600) as connection:
        for table in {table for _, _, _, tables in WORKLOADS for table in tables}:
            connection.query(f"alter table {table} add column if not exists writer bigint default 0")
        connection.query("analyze")


def run(server, work, clients, seconds):
    """(committed, rw failures, of these needed, ww failures)"""
    # Numbers of an earlier run stand in the rows.
    shared = {"stop": False, "first": time.monotonic_ns() // 1_000_000_000 * 10_000_000_000}
    sessions = [Client(server.port, i + 1, work, shared) for i in range(clients)]
    for session in sessions:
        session.start()
    time.sleep(seconds)
    shared["stop"] = True
    for session in sessions:
        session.join()
        if session.error:
            raise session.error
    attempts = [a for session in sessions for a in session.attempts]
    graph = Graph(attempts)
    if not graph.is_serial():
        raise RuntimeError("what committed is not serializable")
    failed = [a for a in attempts if a.result == "rw"]
    return (len(graph.committed), len(failed), sum(graph.is_needed(a) for a in failed),
            sum(a.result == "ww" for a in attempts))
