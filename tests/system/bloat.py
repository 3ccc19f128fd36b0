#!/usr/bin/env python3
"""Updating rows for ever does not make the database larger than its rows (P6), and old row versions
are kept only as long as somebody needs them.

    tests/system/bloat.py [--build release] [--rows 20000] [--passes 8] [--rounds 4]
    tests/system/bloat.py --long            # 1 M rows, 50 passes, 20 times delete all, insert all

1. A fresh load gives the size to compare with, after CHECKPOINT. Then passes of UPDATE of all rows,
   a column with an index among them, while readers look at sums; after CHECKPOINT the data file is
   less than 1.3 times as large. Delete all, insert all: the same.
2. A long-running snapshot holds old versions: memory and file grow; when it ends, both come back.
3. With a small limit, the reader of the oldest snapshot is told `snapshot too old` (72000), writers
   go on; a transaction that fills it by itself gets 53200. Nobody sees a wrong sum.
"""
import argparse
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

MB = 1 << 20
SUM = "select count(*), sum(n), count(distinct g) from t"


class Reader(threading.Thread):
    """Every statement sees all rows of one pass, by table and by index."""

    def __init__(self, port, rows):
        super().__init__()
        self.port, self.rows = port, rows
        self.stopping = False
        self.reads = 0
        self.wrong = None

    def run(self):
        try:
            connection = pgwire.connect(port=self.port, timeout=600)
            while not self.stopping and self.wrong is None:
                count, same, keyed = connection.rows(
                    "select count(*), count(distinct g), (select count(*) from t where k > 0) from t"
                )[0]
                if (int(count), int(same), int(keyed)) != (self.rows, 1, self.rows):
                    self.wrong = (count, same, keyed)
                self.reads += 1
        except (pgwire.Error, OSError) as error:
            self.wrong = repr(error)


def file_size(server, connection, patience=120):
    """After a checkpoint, when what nobody needs any more has been purged. While one runs the file may
    have everything twice: so not if the server's own has begun meanwhile."""
    wait_until(lambda: sum(undo(connection)[:2]) < MB, patience)
    connection.rows("checkpoint")
    wait_until(lambda: connection.rows("select running from tusk_checkpoint") == [("f",)], 120)
    return os.path.getsize(os.path.join(server.directory, "data", "data.tusk"))


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def undo_file(server):
    """Bytes that the undo file takes on the disk: it has no name."""
    size = 0
    folder = f"/proc/{server.process.pid}/fd"
    for number in os.listdir(folder):
        path = os.path.join(folder, number)
        if re.search(r"/(#\d+|undo[^/]*) \(deleted\)$", os.readlink(path)):
            size += os.stat(path).st_blocks * 512
    return size


def undo(connection):
    row = connection.rows("select memory_bytes, file_bytes, snapshots_given_up from tusk_undo")[0]
    return tuple(map(int, row))


def load(connection, rows):
    for first in range(1, rows + 1, 100000):
        last = min(first + 99999, rows)
        connection.rows("insert into t select i, i * 7 % 1000003 + 1, 1, i, md5(i::text) "
                        f"from generate_series({first}, {last}) i")


def update_all(connection):
    connection.rows("update t set k = k % 1000003 + 1, g = g + 1, n = n + 1")


def no_bloat(checks, server, options):
    connection = pgwire.connect(port=server.port, timeout=3600)
    connection.rows("create table t(id int primary key, k int, g int, n bigint, a text)")
    connection.rows("create index on t(k)")
    load(connection, options.rows)
    fresh = file_size(server, connection)
    readers = [Reader(server.port, options.rows) for _ in range(2)]
    for reader in readers:
        reader.start()
    largest = 0
    for number in range(options.passes):
        update_all(connection)
        if number % 10 == 9:
            held = undo(connection)
            size = file_size(server, connection, 20)
            print(f"after {number + 1} passes, readers at work: {size / MB:.1f} MB; undo that they held "
                  f"back {held[0] / MB:.0f} MB in memory, {held[1] / MB:.0f} MB in its file", flush=True)
    for reader in readers:
        reader.stopping = True
    for reader in readers:
        reader.join()
        checks.check("readers see one pass", reader.wrong is None and reader.reads > 0, reader.wrong)
    largest = max(largest, file_size(server, connection))
    print(f"{options.rows} rows: {fresh / MB:.1f} MB fresh, {largest / MB:.1f} MB at most after "
          f"{options.passes} passes of UPDATE: {largest / fresh:.2f} times", flush=True)
    checks.check("passes of UPDATE", largest < 1.3 * fresh + MB, f"{largest} {fresh}")
    largest = 0
    for number in range(options.rounds):
        connection.rows("delete from t")
        load(connection, options.rows)
        if number % 5 == 4:
            largest = max(largest, file_size(server, connection))
    largest = max(largest, file_size(server, connection))
    print(f"{largest / MB:.1f} MB at most after {options.rounds} times delete all, insert all: "
          f"{largest / fresh:.2f} times", flush=True)
    checks.check("delete all, insert all", largest < 1.3 * fresh + MB, f"{largest} {fresh}")
    count, total, _ = connection.rows(SUM)[0]
    checks.check("the rows are there", (int(count), int(total)) ==
                 (options.rows, options.rows * (options.rows + 1) // 2))


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def long_snapshot(checks, server, options):
    connection = pgwire.connect(port=server.port, timeout=3600)
    reader = pgwire.connect(port=server.port, timeout=3600)
    wait_until(lambda: sum(undo(connection)[:2]) < MB)
    before = resident(server)
    reader.rows("begin isolation level repeatable read")
    expected = reader.rows(SUM)
    for _ in range(4):
        update_all(connection)
    memory, file, _ = undo(connection)
    on_disk = undo_file(server)
    at_most = resident(server)
    checks.check("undo is held", memory + file > options.rows * 100, f"{memory} {file}")
    checks.check("undo beyond its memory is in the file", 0 < file <= on_disk,
                 f"{memory} {file} {on_disk}")
    checks.check("the snapshot sees what it saw", reader.rows(SUM) == expected)
    reader.rows("commit")
    checks.check("undo goes with the snapshot",
                 wait_until(lambda: sum(undo(connection)[:2]) < MB), undo(connection))
    checks.check("its file is cut off", wait_until(lambda: undo_file(server) < 2 * MB),
                 undo_file(server))
    gone = wait_until(lambda: resident(server) < before + 24 * MB, 20)
    print(f"a snapshot of 4 passes: undo {memory / MB:.0f} MB in memory and {file / MB:.0f} MB in "
          f"its file; resident {before / MB:.0f} MB before, {at_most / MB:.0f} MB with it, "
          f"{resident(server) / MB:.0f} MB after", flush=True)
    if options.build == "release":
        checks.check("memory comes back", gone, f"{before} {resident(server)}")


def too_old(checks, server, options):
    connection = pgwire.connect(port=server.port, timeout=3600)
    reader = pgwire.connect(port=server.port, timeout=3600)
    young = pgwire.connect(port=server.port, timeout=3600)
    reader.rows("begin isolation level repeatable read")
    expected = reader.rows(SUM)
    answer = expected
    passes = 0
    while answer == expected and passes < 200:
        update_all(connection)
        passes += 1
        try:
            answer = reader.rows(SUM)
        except pgwire.Error as error:
            answer = error.sqlstate
    checks.check("the oldest reader is told", answer == "72000", f"{answer} {expected}")
    reader.rows("rollback")
    reader.rows("begin isolation level repeatable read")
    checks.check("and may begin again", int(reader.rows(SUM)[0][0]) == options.rows)
    reader.rows("rollback")
    checks.check("it was given up", undo(connection)[2] > 0, undo(connection))
    young.rows("begin")
    answer = None
    for _ in range(200):
        try:
            update_all(young)
        except pgwire.Error as error:
            answer = error.sqlstate
            break
    checks.check("who fills it alone is refused", answer == "53200", answer)
    young.rows("rollback")
    update_all(connection)
    count, _, generations = connection.rows(SUM)[0]
    checks.check("all is well", (int(count), int(generations)) == (options.rows, 1))
    print(f"too old after {passes} passes; {undo(connection)[2]} snapshots given up", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--passes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    if options.long:
        options.rows, options.passes, options.rounds = 1000000, 50, 20
    checks = Checks()
    # Room for the undo of one pass, of table and index, but not of four.
    one_pass = options.rows * 400
    server = Server(options.build, ["-c", f"undo_memory={max(2 * MB, one_pass // 2) // 1024}kB",
                                    "-c", "undo_size_max=8GB"])
    with server:
        no_bloat(checks, server, options)
        long_snapshot(checks, server, options)
        checks.check("the server ends well", server.stop() == 0)
        server.arguments[-1] = f"undo_size_max={one_pass * 3 // 1024}kB"
        server.start()
        too_old(checks, server, options)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
