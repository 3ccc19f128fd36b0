#!/usr/bin/env python3
"""kill -9 of the real process at random moments under clients that move money.

Each client logs a transfer when its COMMIT is acknowledged. After each restart every logged transfer
must be there, no transfer may be half there, and the total must be what it was.
"""
import argparse
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

ACCOUNTS, BALANCE = 50, 1000


class Client(threading.Thread):
    def __init__(self, number, port, round_number, seed):
        super().__init__()
        self.number, self.port, self.round = number, port, round_number
        self.random = random.Random(seed)
        self.acknowledged, self.sent, self.retried, self.stop = [], 0, 0, False
        self.unexpected = None

    def run(self):
        try:
            connection = pgwire.connect(port=self.port)
            while not self.stop:
                self.transfer(connection)
        except (ConnectionError, OSError, pgwire.Error) as error:
            if isinstance(error, pgwire.Error) and error.sqlstate not in ("57P01", "57P03"):
                self.unexpected = str(error)

    def transfer(self, connection):
        a, b = self.random.sample(range(ACCOUNTS), 2)
        amount = self.random.randint(1, 50)
        self.sent += 1
        key = f"{self.round}.{self.number}.{self.sent}"
        try:
            connection.rows("begin")
            connection.rows(f"update account set balance = balance - {amount} where id = {a}")
            connection.rows(f"insert into transfer values ('{key}', {a}, {b}, {amount})")
            connection.rows(f"update account set balance = balance + {amount} where id = {b}")
            if self.random.random() < 0.1:
                connection.rows("rollback")
                return
            connection.rows("commit")
            self.acknowledged.append(key)
        except pgwire.Error as error:
            if error.sqlstate not in ("40P01", "40001"):
                raise
            self.retried += 1
            connection.rows("rollback")


def verify(checks, server, acknowledged, round_number):
    connection = pgwire.connect(port=server.port)
    total = int(connection.rows("select sum(balance) from account")[0][0])
    checks.check(f"round {round_number}: total", total == ACCOUNTS * BALANCE, f"is {total}")
    rows = connection.rows("select key, source, target, amount from transfer")
    missing = acknowledged - {row[0] for row in rows}
    checks.check(f"round {round_number}: acknowledged transfers are there", not missing,
                 f"missing {sorted(missing)[:5]} of {len(acknowledged)}")
    balances = [BALANCE] * ACCOUNTS
    for _, source, target, amount in rows:
        balances[int(source)] -= int(amount)
        balances[int(target)] += int(amount)
    found = {int(i): int(b) for i, b in connection.rows("select id, balance from account")}
    wrong = [i for i in range(ACCOUNTS) if found.get(i) != balances[i]]
    checks.check(f"round {round_number}: no partial transfer", not wrong, f"accounts {wrong[:5]}")
    by_index = int(connection.rows("select count(*) from transfer where amount >= 0")[0][0])
    checks.check(f"round {round_number}: index agrees", by_index == len(rows))
    connection.close()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--seconds", type=float, default=2.0)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--build", default="release")
    options = arguments.parse_args()
    print(f"kill.py --rounds {options.rounds} --seed {options.seed} --build {options.build}")
    chance = random.Random(options.seed)
    checks = Checks()
    acknowledged = set()
    with Server(options.build, ["--checkpoint-log", "4MB"]) as server:
        connection = pgwire.connect(port=server.port)
        connection.rows("create table account (id int primary key, balance int not null)")
        connection.rows("create table transfer (key text primary key, source int, target int,"
                         " amount int)")
        connection.rows("create index transfer_amount on transfer (amount)")
        connection.rows(f"insert into account select i, {BALANCE}"
                         f" from generate_series(0, {ACCOUNTS - 1}) i")
        connection.close()
        for number in range(1, options.rounds + 1):
            clients = [Client(i, server.port, number, chance.random())
                       for i in range(options.clients)]
            for client in clients:
                client.start()
            time.sleep(chance.uniform(0.1, options.seconds))
            if chance.random() < 0.3:
                threading.Thread(target=lambda: quiet_checkpoint(server.port)).start()
                time.sleep(chance.uniform(0, 0.05))
            server.kill()
            for client in clients:
                client.stop = True
                client.join()
                checks.check(f"round {number}: no unexpected error", client.unexpected is None,
                             client.unexpected)
                acknowledged.update(client.acknowledged)
            if chance.random() < 0.3:  # and again while it recovers
                try:
                    server.process = None
                    threading.Timer(chance.uniform(0.005, 0.1), lambda: kill_quietly(server)).start()
                    server.start()
                    time.sleep(0.15)
                except RuntimeError:
                    pass
                if server.process.poll() is None:
                    server.kill()
            server.start()
            verify(checks, server, acknowledged, number)
        print(f"{len(acknowledged)} transfers acknowledged")
        checks.check("some work was done", len(acknowledged) > 10 * options.rounds)
    return checks.done()


def quiet_checkpoint(port):
    try:
        pgwire.connect(port=port).rows("checkpoint")
    except (ConnectionError, OSError, pgwire.Error):
        pass


def kill_quietly(server):
    if server.process is not None:
        server.process.kill()


if __name__ == "__main__":
    sys.exit(main())
