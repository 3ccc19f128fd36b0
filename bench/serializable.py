#!/usr/bin/env python3
"""What SERIALIZABLE costs: PostgreSQL 15 and Tusk by turns in one run, on this machine.

    bench/serializable.py [--seconds 3] [--rounds 1] [--clients 8,32] [--only a,b,..,cost,graph,hot]
                          [--output FILE] [--document]

All of it takes seven minutes. --document puts the tables into bench/SERIALIZABLE.md.

Throughput: pgbench is the client; it tries again what got 40001 or 40P01. For each workload: transactions a
second (those that committed), and the share of attempts that failed.

What was needed: the same workloads by clients that remember which versions they read and wrote
(conflict_graph.py). A failure by a concurrent update of the same row (ww), or a deadlock, is needed by every
snapshot isolation. A failure by reads and writes (rw) is needed if the exact graph, with that transaction
committed, has a cycle.

The price of tracking: the same transactions at REPEATABLE READ, where nothing conflicts, by turns in short
runs; the ratio is the median of the pairs', because everything else on the machine changes, too.
"""
import argparse
import glob
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

import conflict_graph
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
COST_TURNS = 8
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

    def run(self, scripts, more, clients, seconds, folder, level="SERIALIZABLE", renew=True):
        """(committed a second, share failed, share rw, CPU microseconds of a transaction)"""
        if renew:
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


# ---- the tables ---------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clients", default="8,32")
    parser.add_argument("--only", default="a,b,c,d,e,f,g,cost,graph,hot")
    parser.add_argument("--document", action="store_true")
    parser.add_argument("--build", default="release")
    parser.add_argument("--output")
    options = parser.parse_args()
    only = options.only.split(",")
    counts = [int(count) for count in options.clients.split(",")]
    if not postgres.INSTALLED:
        print("skipped: PostgreSQL 15 and pgbench are not installed")
        return 0
    cells, cost, hot, graphs = defaultdict(list), defaultdict(list), defaultdict(list), {}
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
            for rows in (1, 10) if "hot" in only else ():
                for clients in (1, 8, 32):
                    for engine in order:
                        result = engine.run_hot(rows, clients, options.seconds, folder)
                        hot[rows, clients, engine.name].append(result)
                        print(f"round {turn + 1} hot rows: {rows}, {clients}, {engine.name}: "
                              f"{result[0]:.0f} tps, p99 {result[1]:.1f} ms", flush=True)
        if "cost" in only:
            for name, script in (("select-only", "select-only"), ("own rows", OWN)):
                for turn in range(COST_TURNS):
                    levels = list(LEVELS)[::1 if turn % 2 == 0 else -1]
                    for engine in engines:
                        for level in levels:
                            result = engine.run([(script, 1)], [], 8, 1, folder, level, renew=False)
                            cost[name, level, engine.name].append(result)
                print(f"{name}: " + ", ".join(
                    f"{engine.name} {statistics.median(run[3] for run in cost[name, level, engine.name]):.0f}"
                    for engine in engines for level in LEVELS) + " us", flush=True)
        if "graph" in only:
            for engine in engines:
                conflict_graph.prepare(engine.server)
            for letter, words, work, _ in conflict_graph.WORKLOADS:
                for clients in counts if letter in only else ():
                    for engine in engines:
                        engine.renew()
                        graphs[letter, words, clients, engine.name] = result = \
                            conflict_graph.run(engine.server, work, clients, options.seconds)
                        print(f"({letter}) {words}, {clients}, {engine.name}: {result[0]} committed, {result[1]} rw "
                              f"failures, {result[2]} needed, {result[3]} ww", flush=True)
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
    lines += ["", f"{options.seconds} s a run, medians of {options.rounds} by turns, {os.cpu_count()} cores shared by "
              "server and pgbench; PostgreSQL with enable_seqscan = off, which spares it most failures."]
    if graphs:
        lines += graph_table(graphs, counts, options)
    if cost:
        lines += ["", f"What tracking costs where nothing conflicts, 8 clients, server CPU µs a transaction, medians "
                  f"of {COST_TURNS} runs of 1 s:", "",
                  "| workload | server | REPEATABLE READ | SERIALIZABLE | ratio, median of pairs |",
                  "|---|---|--:|--:|--:|"]
        for name in dict.fromkeys(key[0] for key in cost):
            for engine in ("PostgreSQL", "Tusk"):
                low, high = ([run[3] for run in cost[name, level, engine]]
                             for level in ("REPEATABLE READ", "SERIALIZABLE"))
                ratio = statistics.median(b / a for a, b in zip(low, high))
                lines.append(f"| {name} | {engine} | {statistics.median(low):.1f} | {statistics.median(high):.1f} "
                             f"| {ratio:.2f} |")
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


def graph_table(graphs, counts, options):
    lines = ["", f"The same by clients with a memory (in Python, {options.seconds} s): were the rw failures needed?", "",
             "| workload | clients | committed PostgreSQL | Tusk | rw failures PostgreSQL | Tusk "
             "| not needed PostgreSQL | Tusk | ww failures PostgreSQL | Tusk |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    spared = {"PostgreSQL": [0, 0], "Tusk": [0, 0]}
    for letter, words, _, _ in conflict_graph.WORKLOADS:
        for clients in counts:
            if (letter, words, clients, "Tusk") not in graphs:
                continue
            pair = [graphs[letter, words, clients, name] for name in spared]
            for found, (committed, rw, needed, _) in zip(spared.values(), pair):
                found[0] += rw - needed
                found[1] += committed
            lines.append(f"| ({letter}) {words} | {clients} | " + " | ".join(
                f"{a:,} | {b:,}" for a, b in (
                    [result[0] for result in pair], [result[1] for result in pair],
                    [result[1] - result[2] for result in pair], [result[3] for result in pair])) + " |")
    theirs, ours = (1000 * failed / max(1, committed) for failed, committed in spared.values())
    lines += ["", f"Not needed, of all: PostgreSQL {spared['PostgreSQL'][0]:,}, Tusk {spared['Tusk'][0]:,}; for a thousand "
              f"that committed: {theirs:.1f} and {ours:.1f}."]
    return lines


if __name__ == "__main__":
    sys.exit(main())
