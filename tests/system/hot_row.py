#!/usr/bin/env python3
"""Locks of a hot row go before the log is flushed. Nothing that was told and acknowledged may be lost by that.

    tests/system/hot_row.py [--rounds N] [--build release] [--sync-ms N]

Clients add one to a row, others read it (READ COMMITTED, REPEATABLE READ and SERIALIZABLE, alone and in
transactions, by errors too), and each remembers the greatest value of which it got word. The disk takes
--sync-ms longer for each sync, so at any moment there are commits that are visible and not durable. The
server is killed by SIGKILL; after recovery the row must have at least the greatest value anybody was told,
a row of a log for each addition that was acknowledged, and as many in all as the value says.
"""
import argparse
import os
import random
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import ROOT, Checks, Server

WRITERS = 12
READERS = ("select v from hot where id = 1",
           "begin; select v from hot where id = 1; commit",
           "begin isolation level repeatable read; select v from hot where id = 1; commit",
           "begin isolation level serializable; select v from hot where id = 1; rollback",
           "begin isolation level serializable read only; select max(v) from hot; commit",
           "select v / (v - v) from hot where id = 1",
           "select ('v' || v)::int from hot where id = 1",
           "select count(*) from entry")


class Client(threading.Thread):
    def __init__(self, server, stop):
        super().__init__()
        self.server, self.stop = server, stop
        self.told = self.count = 0
        self.acknowledged = []

    def run(self):
        try:
            connection = pgwire.connect(port=self.server.port, timeout=60)
            while not self.stop.is_set():
                self.act(connection)
                self.count += 1
        except (pgwire.ConnectionLost, OSError):
            pass


class Writer(Client):
    def __init__(self, server, stop, number):
        super().__init__(server, stop)
        self.base, self.number = number, 0

    def act(self, connection):
        self.number += 1
        key = self.base + self.number
        connection.query("begin")
        value = int(connection.rows("update hot set v = v + 1 where id = 1 returning v")[0][0])
        connection.query(f"insert into entry values ({key}, {value})")
        connection.query("commit")
        self.acknowledged.append(key)
        self.told = max(self.told, value)


class Reader(Client):
    def __init__(self, server, stop, sql):
        super().__init__(server, stop)
        self.sql = sql

    def act(self, connection):
        try:
            rows = [row for result in connection.query(self.sql) for row in result.rows]
            self.told = max(self.told, int(rows[0][0]))
        except pgwire.Error as error:
            if error.sqlstate == "22P02":  # invalid input syntax for type integer: "v42"
                self.told = max(self.told, int(error.message.split('"v')[1].rstrip('"')))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", default="release")
    parser.add_argument("--sync-ms", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    chance = random.Random(options.seed)
    checks = Checks()
    server = Server(options.build)
    orders = os.path.join(server.directory, "orders")
    library = os.path.join(ROOT, "build", "release", "disk_faults.so")
    if os.path.exists(library) and options.build == "release":
        server.environment = dict(os.environ, TUSK_FAULTS=orders, LD_PRELOAD=library)
    with open(orders, "w", encoding="utf-8"):
        pass
    server.start()
    try:
        with pgwire.connect(port=server.port) as connection:
            connection.query("create table hot (id int primary key, v bigint)")
            connection.query("create table entry (k bigint primary key, v bigint)")
            connection.query("insert into hot values (1, 0)")
        told, kept, told_readers = 0, [], 0
        for round_number in range(options.rounds):
            with open(orders, "w", encoding="utf-8") as file:
                file.write(f"sync * {1000 + options.sync_ms} 0 0\n")
            stop = threading.Event()
            clients = [Writer(server, stop, (round_number * WRITERS + i + 1) << 32)
                       for i in range(WRITERS)] + [Reader(server, stop, sql) for sql in READERS]
            for client in clients:
                client.start()
            time.sleep(chance.uniform(0.6, 1.6))
            server.kill()
            stop.set()
            for client in clients:
                client.join()
            kept += [key for client in clients for key in client.acknowledged]
            told = max([told] + [client.told for client in clients])
            told_readers = max(client.told for client in clients[WRITERS:])
            with open(orders, "w", encoding="utf-8"):
                pass
            server.start()
            with pgwire.connect(port=server.port) as connection:
                value = int(connection.rows("select v from hot where id = 1")[0][0])
                entries = connection.rows("select k, v from entry")
                keys = {int(key) for key, _ in entries}
                lost = [key for key in kept if key not in keys]
            where = f"round {round_number}, seed {options.seed}"
            checks.check(f"{where}: nothing that was told is lost", value >= told, f"{value} < " + str(
                {getattr(client, "sql", "writer"): client.told for client in clients
                 if client.told > value}))
            checks.check(f"{where}: nothing acknowledged is lost", not lost, str(lost[:5]))
            checks.check(f"{where}: all or nothing", sorted(int(v) for _, v in entries) ==
                         list(range(1, value + 1)), f"{len(entries)} entries, value {value}")
            checks.check(f"{where}: writers and readers were busy",
                         all(client.count > 0 for client in clients),
                         str([client.count for client in clients]))
            print(f"{where}: value {value}, told {told}, by readers {told_readers}, "
                  f"{len(kept)} acknowledged")
    finally:
        if server.alive():
            server.stop()
        if not checks.failed:
            shutil.rmtree(server.directory, ignore_errors=True)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
