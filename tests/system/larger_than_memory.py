#!/usr/bin/env python3
"""A table much larger than the page cache: load, random updates, scans, checkpoints, kill -9,
recovery; the process stays within its cache and a constant; tuskd --check afterwards.

    tests/system/larger_than_memory.py [--build release] [--rows 200000] [--cache-mb 4]
    tests/system/larger_than_memory.py --long
"""
import argparse
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

BATCH = 20000
BESIDE_MB = 64      # the log's ring, redo of a batch, a checkpoint, the rest of the server


def allowed_mb(cache_mb):
    """The cache, undo_memory as its default says (a quarter of the cache, 32 MiB at least), a constant."""
    return cache_mb + max(32, cache_mb // 4) + BESIDE_MB


class Client(threading.Thread):
    """Adds 1 to rows at random and counts what was acknowledged."""

    def __init__(self, port, rows, seed):
        super().__init__()
        self.port, self.rows, self.random = port, rows, random.Random(seed)
        self.sent = self.acknowledged = 0
        self.unexpected = None

    def run(self):
        try:
            connection = pgwire.connect(port=self.port)
            while True:
                self.sent += 1
                connection.rows(
                    f"update big set n = n + 1 where id = {self.random.randint(1, self.rows)}")
                self.acknowledged += 1
        except (ConnectionError, OSError):
            pass
        except pgwire.Error as error:
            self.unexpected = str(error)


def memory_mb(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024
    return 0


def check_file(server):
    run = subprocess.run([server.binary, "--check", "--data", os.path.join(server.directory, "data")],
                         capture_output=True, text=True, check=False)
    return run.returncode, run.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--rows", type=int, default=200000)
    parser.add_argument("--cache-mb", type=int, default=4)
    parser.add_argument("--long", action="store_true", help="a table of 4 GiB, 256 MiB of cache")
    options = parser.parse_args()
    if options.long:
        options.rows, options.cache_mb = 20000000, 256
    checks = Checks()
    arguments = ["--cache-size", f"{options.cache_mb}MB", "--checkpoint-log", "16MB"]
    server = Server(options.build, arguments)
    with server:
        connection = pgwire.connect(port=server.port, timeout=3600)
        connection.rows("create table big(id int primary key, n int, a text)")
        for first in range(1, options.rows + 1, BATCH):
            last = min(first + BATCH - 1, options.rows)
            connection.rows("insert into big select g, g, repeat(md5(g::text), 4) "
                             f"from generate_series({first}, {last}) g")
        base = options.rows * (options.rows + 1) // 2
        what = "select count(*), sum(n), sum(length(a)) from big"
        expected = (options.rows, base, options.rows * 128)
        checks.check("loaded", tuple(map(int, connection.rows(what)[0])) == expected)
        clients = [Client(server.port, options.rows, seed) for seed in range(6)]
        for client in clients:
            client.start()
        time.sleep(3)
        connection.rows("checkpoint")
        count = connection.rows("select count(*) from big where length(a) = 128")
        checks.check("scan beside updates", int(count[0][0]) == options.rows)
        time.sleep(1)
        loaded = memory_mb(server)
        killer = threading.Timer(0.05, server.kill)
        killer.start()
        try:
            connection.rows("checkpoint")
        except (ConnectionError, OSError):
            pass
        killer.join()
        for client in clients:
            client.join()
            checks.check("no unexpected error", client.unexpected is None, client.unexpected)
        server.start()
        connection = pgwire.connect(port=server.port, timeout=3600)
        rows, total, length = map(int, connection.rows(what)[0])
        acknowledged = sum(client.acknowledged for client in clients)
        sent = sum(client.sent for client in clients)
        checks.check("nothing is lost", rows == options.rows and length == options.rows * 128)
        checks.check("every acknowledged update, none that was not sent",
                     base + acknowledged <= total <= base + sent,
                     f"{acknowledged} <= {total - base} <= {sent}")
        used = memory_mb(server)
        if options.build != "debug":
            allowed = allowed_mb(options.cache_mb)
            checks.check("memory", used <= allowed, f"{used} MB")
            checks.check("memory while it was filled", loaded <= allowed, f"{loaded} MB")
        status, words = check_file(server)
        checks.check("--check leaves a running server alone", status == 2, words)
        checks.check("the server ends well", server.stop() == 0)
        status, words = check_file(server)
        checks.check("--check finds nothing", status == 0 and " 0 faults" in words, words)
        path = os.path.join(server.directory, "data", "data.tusk")
        with open(path, "r+b") as file:
            for offset in range(3 * 4096, os.path.getsize(path), 1 << 20):
                file.seek(offset + 100)
                file.write(b"damage")
        status, words = check_file(server)
        checks.check("--check finds damage", status == 1 and "fault" in words, words)
    print(f"{acknowledged} updates; {loaded} MB of memory at most before and {used} after recovery, of "
          f"{allowed_mb(options.cache_mb)} allowed, {options.cache_mb} of them the cache's")
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
