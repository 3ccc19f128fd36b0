#!/usr/bin/env python3
"""What SERIALIZABLE costs: PostgreSQL 15 and Tusk by turns in one run, on this machine.

    bench/serializable.py [--seconds 5] [--rounds 2] [--clients 8,32] [--only a,b,...] [--output FILE]
                          [--quick] [--document]

--quick takes about four minutes (3 s a run, one round). --document puts the tables into
bench/SERIALIZABLE.md.

pgbench is the client; it tries again what got 40001 or 40P01. For each workload: transactions a second
(those that committed), the share of attempts that failed, and how many of the failures were needed.

What was needed. A failure by a concurrent update of the same row (ww) is needed by every snapshot
isolation. A failure by reads and writes (rw) is needed if the execution with that transaction committed
would have had a cycle. In all workloads but SmallBank no such cycle can be: the rows that one reads and
another writes are written only by those who read them too (TPC-B, TPC-C, SIBENCH's updates), or those who
read them write nothing that anybody reads (SIBENCH's queries, the batch reader), or nobody reads what
another writes (a, b). So there every rw failure was a false alarm. For SmallBank clients of our own record
which versions they read and wrote, and the graph of what committed together with each failed one is
searched for a cycle.
"""
import argparse
import glob
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict

from common import ROOT, Server, cpu_seconds, pgwire, postgres, tell

CUSTOMERS = 1000
HOT = 50

UUID = """
\\set n random(1, 1000000000000000)
begin;
select v from by_uuid where k = md5('k' || :n || '-' || :client_id)::uuid;
insert into by_uuid values (md5('k' || :n || '-' || :client_id)::uuid, :client_id);
commit;
"""
SEQUENCE = """
\\set n :n + 1
\\set k :n * 64 + :client_id
begin;
select v from by_number where k = 'order-' || (1000000000 + :k);
insert into by_number values ('order-' || (1000000000 + :k), :client_id);
commit;
"""
FILTERED = """
\\set k random(0, 29) * 32 + :client_id
begin;
select sum(v) from filtered where owner = :client_id;
update filtered set v = v + 1 where id = :k;
commit;
"""
CUSTOMER = f"""
\\set hot random(1, 10)
\\if :hot <= 9
\\set c random(1, {HOT})
\\set d random(1, {HOT})
\\else
\\set c random(1, {CUSTOMERS})
\\set d random(1, {CUSTOMERS})
\\endif
"""
BALANCE = CUSTOMER + """
begin;
select bal from saving where id = :c;
select bal from checking where id = :c;
commit;
"""
DEPOSIT = CUSTOMER + """
begin;
update checking set bal = bal + 5 where id = :c;
commit;
"""
TRANSACT = CUSTOMER + """
begin;
select bal from saving where id = :c;
update saving set bal = bal + 20 where id = :c;
commit;
"""
AMALGAMATE = CUSTOMER + """
begin;
select bal from saving where id = :c \\gset s_
select bal from checking where id = :c \\gset c_
update saving set bal = 0 where id = :c;
update checking set bal = 0 where id = :c;
update checking set bal = bal + :s_bal + :c_bal where id = :d;
commit;
"""
WRITE_CHECK = CUSTOMER + """
begin;
select bal from saving where id = :c \\gset s_
select bal from checking where id = :c \\gset c_
update checking set bal = bal - 10 - (case when :s_bal + :c_bal < 10 then 1 else 0 end) where id = :c;
commit;
"""
SI_QUERY = "select id from sitest order by value limit 1;\n"
SI_UPDATE = "\\set k random(1, 100)\nupdate sitest set value = value + 1 where id = :k;\n"
NEW_ORDER = """
\\set w random(1, 2)
\\set d random(1, 10)
\\set c random(1, 300)
\\set i1 random(1, 250)
\\set i2 random(251, 500)
\\set i3 random(501, 750)
\\set i4 random(751, 1000)
begin;
select tax from warehouse where w = :w;
update district set next_o = next_o + 1 where w = :w and d = :d returning next_o \\gset
select discount from customer where w = :w and d = :d and c = :c;
insert into orders values (:w, :d, :next_o, :c, 4);
insert into new_order values (:w, :d, :next_o);
select price from item where i = :i1;
update stock set quantity = quantity - 1 where w = :w and i = :i1;
insert into order_line values (:w, :d, :next_o, 1, :i1);
select price from item where i = :i2;
update stock set quantity = quantity - 1 where w = :w and i = :i2;
insert into order_line values (:w, :d, :next_o, 2, :i2);
select price from item where i = :i3;
update stock set quantity = quantity - 1 where w = :w and i = :i3;
insert into order_line values (:w, :d, :next_o, 3, :i3);
select price from item where i = :i4;
update stock set quantity = quantity - 1 where w = :w and i = :i4;
insert into order_line values (:w, :d, :next_o, 4, :i4);
commit;
"""
PAYMENT = """
\\set w random(1, 2)
\\set d random(1, 10)
\\set c random(1, 300)
begin;
update customer set balance = balance - 10 where w = :w and d = :d and c = :c;
update district set ytd = ytd + 10 where w = :w and d = :d;
update warehouse set ytd = ytd + 10 where w = :w;
insert into payment values (:w, :d, :c, 10);
commit;
"""
BATCH_WRITE = """
\\set k random(1, 20000)
begin;
select today from control where id = 1;
update hot set v = v + 1 where id = :k;
commit;
"""
BATCH_READ = """
begin;
select count(*), sum(v) from hot \\gset
insert into report values (:client_id, :sum);
commit;
"""
# Conflict-free, for the price of tracking: rows of one's own.
OWN = """
\\set k random(0, 2999) * 32 + :client_id
begin;
select v from own where id = :k;
select v from own where id = :k + 32;
update own set v = v + 1 where id = :k;
commit;
"""

SCHEMA = (
    "create table by_uuid (k uuid primary key, v int)",
    "insert into by_uuid select md5('p' || g)::uuid, 0 from generate_series(1, 100000) g",
    "create table by_number (k text primary key, v int)",
    "insert into by_number select 'order-' || (1000000000 - g), 0 from generate_series(1, 100000) g",
    "create table filtered (id int primary key, owner int, v int)",
    "insert into filtered select g, g % 32, 0 from generate_series(0, 959) g",
    "create table saving (id int primary key, bal int, w bigint)",
    "create table checking (id int primary key, bal int, w bigint)",
    f"insert into saving select g, 10000, 0 from generate_series(1, {CUSTOMERS}) g",
    f"insert into checking select g, 10000, 0 from generate_series(1, {CUSTOMERS}) g",
    "create table sitest (id int primary key, value int)",
    "insert into sitest select g, g from generate_series(1, 100) g",
    "create table warehouse (w int primary key, tax int, ytd int)",
    "insert into warehouse select g, 7, 0 from generate_series(1, 2) g",
    "create table district (w int, d int, next_o int, ytd int, primary key (w, d))",
    "insert into district select g, h, 1, 0 from generate_series(1, 2) g, generate_series(1, 10) h",
    "create table customer (w int, d int, c int, discount int, balance int, primary key (w, d, c))",
    "insert into customer select g, h, i, 3, 0 from generate_series(1, 2) g, generate_series(1, 10) h, "
    "generate_series(1, 300) i",
    "create table item (i int primary key, price int)",
    "insert into item select g, g from generate_series(1, 1000) g",
    "create table stock (w int, i int, quantity int, primary key (w, i))",
    "insert into stock select g, i, 1000000 from generate_series(1, 2) g, generate_series(1, 1000) i",
    "create table orders (w int, d int, o int, c int, lines int, primary key (w, d, o))",
    "create table new_order (w int, d int, o int, primary key (w, d, o))",
    "create table order_line (w int, d int, o int, n int, i int, primary key (w, d, o, n))",
    "create table payment (w int, d int, c int, amount int)",
    "create table control (id int primary key, today int)",
    "insert into control values (1, 1)",
    "create table hot (id int primary key, v int)",
    "insert into hot select g, 0 from generate_series(1, 20000) g",
    "create table report (who int, total bigint)",
    "create table own (id int primary key, v int)",
    "insert into own select g, 0 from generate_series(0, 99999) g",
)

# (letter, words, [(script, weight)], more arguments)
WORKLOADS = (
    ("a", "disjoint inserts, UUID", [(UUID, 1)], []),
    ("a", "disjoint inserts, numbers in turn", [(SEQUENCE, 1)], ["-D", "n=0"]),
    ("b", "updates by key, filtered full scans of one's own rows", [(FILTERED, 1)], []),
    ("c", "SmallBank", [(BALANCE, 1), (DEPOSIT, 1), (TRANSACT, 1), (AMALGAMATE, 1), (WRITE_CHECK, 1)], []),
    ("d", "SIBENCH, 100 rows", [(SI_QUERY, 1), (SI_UPDATE, 1)], []),
    ("e", "TPC-B, scale 10", [("tpcb-like", 1)], []),
    ("f", "new-order and payment", [(NEW_ORDER, 1), (PAYMENT, 1)], []),
    ("g", "batch reader over a hot table, 1 in 200", [(BATCH_WRITE, 199), (BATCH_READ, 1)], []),
)
LEVELS = {"SERIALIZABLE": "serializable", "REPEATABLE READ": "repeatable\\ read"}


class Engine:
    def __init__(self, name, server, pid):
        self.name, self.server, self.pid = name, server, pid
        self.runs = 0

    def load(self):
        base = ["-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres", "postgres"]
        subprocess.run([f"{postgres.BIN}/pgbench", "-i", "-q", "-s", "10", *base], check=True,
                       capture_output=True)
        with pgwire.connect(port=self.server.port, timeout=600) as connection:
            for sql in SCHEMA:
                connection.query(sql)
            connection.query("checkpoint")
            if self.name == "PostgreSQL":
                connection.query("vacuum analyze")

    def renew(self):
        """What grows begins anew."""
        with pgwire.connect(port=self.server.port, timeout=600) as connection:
            connection.query("delete from by_number where k > 'order-1000000000'")
            connection.query("truncate report")
            connection.query("truncate payment")
            if self.name == "PostgreSQL":
                connection.query("vacuum analyze")

    def run(self, scripts, more, clients, seconds, folder, level="SERIALIZABLE"):
        """(committed a second, share failed, share rw, CPU microseconds of a transaction)"""
        self.renew()
        self.runs += 1
        files = []
        for i, (script, weight) in enumerate(scripts):
            if "\n" not in script:
                files += ["-b", f"{script}@{weight}"]
                continue
            path = os.path.join(folder, f"{i}.sql")
            with open(path, "w", encoding="utf-8") as file:
                file.write(script)
            files += ["-f", f"{path}@{weight}"]
        errors = os.path.join(folder, "errors")
        before = cpu_seconds(self.pid)
        with open(errors, "w", encoding="utf-8") as file:
            done = subprocess.run(
                [f"{postgres.BIN}/pgbench", "-n", "-M", "prepared" if "gset" not in str(scripts) else
                 "simple", "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds),
                 "--max-tries=0", "--verbose-errors", f"--random-seed={self.runs}", *more, *files,
                 "-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres", "postgres"],
                stdout=subprocess.PIPE, stderr=file, text=True, check=False,
                env={**os.environ, "PGOPTIONS": f"-c default_transaction_isolation={LEVELS[level]}"})
        time.sleep(0.3)
        used = cpu_seconds(self.pid) - before
        rw = ww = other = 0
        with open(errors, encoding="utf-8") as file:
            text = file.read()
        rw = text.count("read/write dependencies")
        ww = text.count("concurrent update") + text.count("concurrent delete") + \
            text.count("deadlock detected")
        count = re.search(r"transactions actually processed: (\d+)", done.stdout)
        tps = re.search(r"tps = ([\d.]+)", done.stdout)
        retries = re.search(r"total number of retries: (\d+)", done.stdout)
        if done.returncode != 0 or not count:
            raise RuntimeError(f"{self.name}: {done.stdout[-300:]}{text[-600:]}")
        committed = int(count.group(1))
        other = (int(retries.group(1)) if retries else 0) - rw - ww
        if abs(other) > max(5, 0.02 * (rw + ww)) + clients:
            print(f"  {self.name}: {other} retries of another kind", file=sys.stderr)
        attempts = committed + rw + ww
        return float(tps.group(1)), (rw + ww) / attempts, rw / attempts, used / max(1, committed) * 1e6, rw


    def run_hot(self, rows, clients, seconds, folder):
        """Updates a second of one of so many rows at READ COMMITTED, and p99 in milliseconds."""
        script = os.path.join(folder, "hot.sql")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"\\set k random(1, {rows})\nupdate hot set v = v + 1 where id = :k;\n")
        for old in glob.glob(os.path.join(folder, "hot_log*")):
            os.remove(old)
        done = subprocess.run(
            [f"{postgres.BIN}/pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j",
             str(min(clients, 2)), "-T", str(seconds), "-l", "--log-prefix",
             os.path.join(folder, "hot_log"), "-f", script, "-h", "127.0.0.1", "-p",
             str(self.server.port), "-U", "postgres", "postgres"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False)
        tps = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode != 0 or not tps:
            raise RuntimeError(f"{self.name}: {done.stdout[-600:]}")
        times = []
        for path in glob.glob(os.path.join(folder, "hot_log*")):
            with open(path, encoding="utf-8") as file:
                times += [int(line.split(" ", 3)[2]) for line in file]
        times.sort()
        return float(tps.group(1)), times[len(times) * 99 // 100] / 1000


# ---- SmallBank with a memory --------------------------------------------------------------------

class Attempt:
    __slots__ = ("number", "reads", "writes", "trying", "start", "end", "result")

    def __init__(self, number):
        self.number, self.reads, self.writes, self.trying = number, {}, set(), None
        self.start = self.end = self.result = None


class Customer(threading.Thread):
    def __init__(self, port, index, shared):
        super().__init__(daemon=True)
        self.random = random.Random(index)
        self.shared = shared
        self.connection = pgwire.connect(port=port, timeout=60)
        self.connection.query("set default_transaction_isolation = 'serializable'")
        self.index = index
        self.count = 0
        self.attempts = []

    def read(self, table, who):
        self.now.trying = ("r", (table, who))
        balance, writer = self.connection.rows(f"select bal, w from {table} where id = {who}")[0]
        self.now.reads.setdefault((table, who), int(writer))
        self.now.trying = None
        return int(balance)

    def write(self, table, who, change):
        # What an update reads is read by a query of its own, to know the version.
        balance = self.read(table, who)
        self.now.trying = ("w", (table, who))
        self.connection.query(f"update {table} set bal = {change(balance)}, w = {self.now.number} "
                              f"where id = {who}")
        self.now.writes.add((table, who))
        self.now.trying = None

    def run(self):
        while not self.shared["stop"]:
            who, other = (self.random.randint(1, HOT if self.random.random() < 0.9 else CUSTOMERS)
                          for _ in range(2))
            what = self.random.randrange(5)
            while not self.attempt(what, who, other) and not self.shared["stop"]:
                pass
        self.connection.close()

    def attempt(self, what, who, other):
        self.count += 1
        self.now = now = Attempt(self.index * 10_000_000 + self.count)
        self.attempts.append(now)
        now.start = time.monotonic()
        try:
            self.connection.query("begin")
            if what == 0:
                self.read("saving", who), self.read("checking", who)
            elif what == 1:
                self.write("checking", who, lambda b: b + 5)
            elif what == 2:
                self.write("saving", who, lambda b: b + 20)
            elif what == 3:
                total = self.read("saving", who) + self.read("checking", who)
                self.write("saving", who, lambda b: 0)
                self.write("checking", who, lambda b: 0)
                self.write("checking", other, lambda b: b + total)
            else:
                total = self.read("saving", who) + self.read("checking", who)
                self.write("checking", who, lambda b: b - 10 - (total < 10))
            self.connection.query("commit")
            now.result = "committed"
        except pgwire.Error as error:
            now.result = "rw" if "read/write" in error.message else "ww"
            if self.connection.status != "I":
                self.connection.query("rollback")
        now.end = time.monotonic()
        return now.result == "committed"


def needed(attempts):
    """(committed, rw failures, of these needed, ww failures)"""
    committed = {a.number: a for a in attempts if a.result == "committed"}
    next_writer = {}                        # (item, version) -> who replaced it
    readers = defaultdict(list)             # (item, version)
    history = defaultdict(list)             # item -> [(end, writer)]
    for a in committed.values():
        for item, version in a.reads.items():
            readers[item, version].append(a)
        for item in a.writes:
            next_writer[item, a.reads[item]] = a.number
            history[item].append((a.end, a.number))
    for versions in history.values():
        versions.sort()
    graph = defaultdict(set)
    for a in committed.values():
        for item, version in a.reads.items():
            if version in committed and version != a.number:
                graph[version].add(a.number)                      # wr; and ww where it writes
            after = next_writer.get((item, version))
            if after is not None and after != a.number:
                graph[a.number].add(after)                        # rw
    failed = [a for a in attempts if a.result == "rw"]
    count = 0
    for a in failed:
        reads, writes = dict(a.reads), set(a.writes)
        if a.trying:
            how, item = a.trying
            if how == "w":
                writes.add(item)
            if item not in reads:
                before = [w for end, w in history[item] if end < a.start]
                reads[item] = before[-1] if before else 0
        out = {next_writer[item, version] for item, version in reads.items()
               if (item, version) in next_writer}
        into = {version for version in reads.values() if version in committed}
        for item in writes:
            into |= {b.number for b in readers[item, reads.get(item, 0)] if b.start < a.end}
        seen, todo = set(out), list(out)
        while todo and not seen & into:
            for b in graph[todo.pop()]:
                # What came after would have seen it.
                if b not in seen and (b in into or committed[b].start < a.end):
                    seen.add(b)
                    todo.append(b)
        count += bool(seen & into)
    return len(committed), len(failed), count, sum(a.result == "ww" for a in attempts)


def smallbank(engine, clients, seconds):
    with pgwire.connect(port=engine.server.port) as connection:
        connection.query("update saving set w = 0")
        connection.query("update checking set w = 0")
    shared = {"stop": False}
    customers = [Customer(engine.server.port, i + 1, shared) for i in range(clients)]
    for customer in customers:
        customer.start()
    time.sleep(seconds)
    shared["stop"] = True
    for customer in customers:
        customer.join()
    return needed([a for customer in customers for a in customer.attempts])


# ---- the tables ---------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clients", default="8,32")
    parser.add_argument("--only", default="a,b,c,d,e,f,g,cost,graph,hot")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--document", action="store_true")
    parser.add_argument("--build", default="release")
    parser.add_argument("--output")
    options = parser.parse_args()
    only = options.only.split(",")
    if options.quick:
        options.seconds, options.rounds = 3, 1
    counts = [int(count) for count in options.clients.split(",")]
    if not postgres.INSTALLED:
        print("skipped: PostgreSQL 15 and pgbench are not installed")
        return 0
    cells, cost, hot, graphs = defaultdict(list), defaultdict(list), defaultdict(list), []
    # PostgreSQL locks the whole table for a sequential scan, which it prefers where tables are small: it
    # is told not to, where there is an index. (Without jit: it would think such a scan worth compiling.)
    settings = {"enable_seqscan": "off", "jit": "off", "shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min",
                "max_pred_locks_per_transaction": "256"}
    with tempfile.TemporaryDirectory(prefix="tusk_ser_") as folder, \
            postgres.Postgres(settings) as theirs, \
            Server(options.build, ["--cache-size", "512MB"]) as ours:
        engines = [Engine("PostgreSQL", theirs, theirs.pid()), Engine("Tusk", ours, ours.process.pid)]
        for engine in engines:
            engine.load()
        for turn in range(options.rounds):
            order = engines if turn % 2 == 0 else engines[::-1]
            for letter, words, scripts, more in WORKLOADS:
                if letter not in only:
                    continue
                for clients in counts:
                    for engine in order:
                        result = engine.run(scripts, more, clients, options.seconds, folder)
                        cells[letter, words, clients, engine.name].append(result)
                        print(f"round {turn + 1} ({letter}) {words}, {clients}, {engine.name}: "
                              f"{result[0]:.0f} tps, {result[1]:.1%} failed, {result[2]:.1%} rw",
                              flush=True)
            if "cost" in only:
                for name, script in (("select-only", "select-only"), ("own rows", OWN)):
                    for level in LEVELS:
                        for engine in order:
                            result = engine.run([(script, 1)], [], 8, options.seconds, folder, level)
                            cost[name, level, engine.name].append(result)
                            print(f"round {turn + 1} {name}, {level}, {engine.name}: {result[0]:.0f} tps, "
                                  f"{result[3]:.0f} us", flush=True)
            for rows in (1, 10) if "hot" in only else ():
                for clients in (1, 8, 32):
                    for engine in order:
                        result = engine.run_hot(rows, clients, options.seconds, folder)
                        hot[rows, clients, engine.name].append(result)
                        print(f"round {turn + 1} hot rows: {rows}, {clients}, {engine.name}: "
                              f"{result[0]:.0f} tps, p99 {result[1]:.1f} ms", flush=True)
        if "graph" in only:
            for clients in counts:
                for engine in engines:
                    graphs.append((engine.name, clients, *smallbank(engine, clients, options.seconds * 2)))
                    print(f"SmallBank with a memory, {graphs[-1]}", flush=True)
    text = tables(cells, cost, hot, graphs, counts, options)
    if options.document:
        document(f"`bench/serializable.py --seconds {options.seconds} --rounds {options.rounds}`, "
                 f"{time.strftime('%Y-%m-%d')}\n\n" + text)
    tell(text, options.output)
    return 0


def document(text):
    path = os.path.join(ROOT, "bench", "SERIALIZABLE.md")
    with open(path, encoding="utf-8") as file:
        before, _, rest = file.read().partition("<!-- tables -->\n")
    after = rest.partition("<!-- end -->\n")[2]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}<!-- tables -->\n{text}\n<!-- end -->\n{after}")


def tables(cells, cost, hot, graphs, counts, options):
    lines = ["| workload | clients | tps PostgreSQL | tps Tusk | ratio | attempts failed PostgreSQL | Tusk "
             "| of these rw: PostgreSQL | Tusk |", "|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for letter, words, _, _ in WORKLOADS:
        for clients in counts:
            theirs, ours = (cells.get((letter, words, clients, name)) for name in ("PostgreSQL", "Tusk"))
            if not theirs or not ours:
                continue
            a, b = ([statistics.median(run[i] for run in runs) for i in range(5)] for runs in (theirs, ours))
            lines.append(f"| ({letter}) {words} | {clients} | {a[0]:,.0f} | {b[0]:,.0f} | **{b[0] / a[0]:.2f}** "
                         f"| {a[1]:.1%} | {b[1]:.1%} | {a[2]:.1%} | {b[2]:.1%} |")
    lines += ["", f"{options.seconds} s a run, medians of {options.rounds} rounds by turns, {os.cpu_count()} "
              "cores shared by server and pgbench; PostgreSQL with enable_seqscan = off, which spares it most failures. The rw failures of all but (c) were false "
              "alarms, or of transactions that would have failed by ww."]
    if graphs:
        lines += ["", "SmallBank with a memory (clients in Python): were the rw failures needed?", "",
                  "| server | clients | committed | rw failures | needed | not needed | ww failures |",
                  "|---|--:|--:|--:|--:|--:|--:|"]
        lines += [f"| {name} | {clients} | {committed:,} | {rw:,} | {need:,} | {rw - need:,} "
                  f"({(rw - need) / max(1, committed + rw + ww):.2%} of attempts) | {ww:,} |"
                  for name, clients, committed, rw, need, ww in graphs]
    if cost:
        lines += ["", "What tracking costs where nothing conflicts, 8 clients, server CPU µs a transaction:", "",
                  "| workload | server | REPEATABLE READ | SERIALIZABLE | ratio |", "|---|---|--:|--:|--:|"]
        for name in dict.fromkeys(key[0] for key in cost):
            for engine in ("PostgreSQL", "Tusk"):
                low, high = (statistics.median(run[3] for run in cost[name, level, engine])
                             for level in ("REPEATABLE READ", "SERIALIZABLE"))
                lines.append(f"| {name} | {engine} | {low:.1f} | {high:.1f} | {high / low:.2f} |")
    if hot:
        lines += ["", "Hot rows, READ COMMITTED: `update hot set v = v + 1 where id = :k`:", "",
                  "| rows | clients | PostgreSQL, updates a second | Tusk | ratio | p99 PostgreSQL, ms | Tusk |",
                  "|--:|--:|--:|--:|--:|--:|--:|"]
        for rows, clients in dict.fromkeys(key[:2] for key in hot):
            theirs, ours = ([statistics.median(run[i] for run in hot[rows, clients, name]) for i in (0, 1)]
                            for name in ("PostgreSQL", "Tusk"))
            lines.append(f"| {rows} | {clients} | {theirs[0]:,.0f} | {ours[0]:,.0f} | **{ours[0] / theirs[0]:.2f}** "
                         f"| {theirs[1]:.1f} | {ours[1]:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
