#!/usr/bin/env python3
"""Idempotency keys: two at once, cancels, COPY, the extended protocol, expiry, backup and restore;
and kill -9 under clients that repeat a transfer with its key until it is acknowledged: each takes
effect exactly once.

    tests/system/idempotency.py [--build release] [--rounds 3] [--seconds 1.5] [--seed N]
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

ACCOUNTS, BALANCE = 20, 1000


def keyed(connection, key, *statements):
    """All answers; the connection is outside of a block afterwards."""
    connection.query("begin")
    connection.query(f"set local tusk.idempotency_key = '{key}'")
    try:
        answers = [connection.rows(statement) for statement in statements]
        connection.query("commit")
        return answers
    except pgwire.Error:
        connection.query("rollback")
        raise


class Client(threading.Thread):
    def __init__(self, number, server, seed):
        super().__init__()
        self.number, self.server, self.random = number, server, random.Random(seed)
        self.done, self.repeats, self.stop, self.unexpected = {}, 0, False, None

    def run(self):
        number = 0
        try:
            while not self.stop:
                number += 1
                a, b = self.random.sample(range(ACCOUNTS), 2)
                self.until_acknowledged(f"{self.number}.{number}", a, b, self.random.randint(1, 9))
        except Exception as error:  # pylint: disable=broad-except
            self.unexpected = repr(error)

    def until_acknowledged(self, key, a, b, amount):
        """A transfer that has begun is repeated, also when the test is about to end."""
        connection = None
        while True:
            try:
                connection = connection or pgwire.connect(port=self.server.port)
                answer = keyed(
                    connection, key,
                    f"update account set balance = balance - {amount} where id = {a}",
                    f"update account set balance = balance + {amount} where id = {b}",
                    f"insert into transfer (key) values ('{key}') returning number")
                if key in self.done and self.done[key] != answer:
                    raise AssertionError(f"{key} was answered in two ways")
                self.done[key] = answer
                if self.random.random() < 0.9:
                    break
                self.repeats += 1   # an acknowledgement that got lost
            except pgwire.Error as error:
                if error.sqlstate not in ("40P01", "40001", "57P01", "57P03"):
                    raise
                if error.sqlstate.startswith("57"):
                    connection = None
                    time.sleep(0.02)
            except (ConnectionError, OSError):
                connection = None
                self.repeats += 1
                time.sleep(0.02)
        connection.close()


def crashes(checks, server, options):
    chance = random.Random(options.seed)
    with pgwire.connect(port=server.port) as connection:
        connection.query("create table account (id int primary key, balance int not null)")
        connection.query("create table transfer (number serial primary key, key text)")
        connection.query(f"insert into account select i, {BALANCE}"
                         f" from generate_series(0, {ACCOUNTS - 1}) i")
    clients = [Client(i, server, chance.random()) for i in range(6)]
    for client in clients:
        client.start()
    for _ in range(options.rounds):
        time.sleep(chance.uniform(0.2, options.seconds))
        if chance.random() < 0.5:
            try:
                pgwire.connect(port=server.port).query("checkpoint")
            except (ConnectionError, OSError, pgwire.Error):
                pass
        server.kill()
        server.start()
    time.sleep(0.3)
    for client in clients:
        client.stop = True
    done = {}
    for client in clients:
        client.join()
        checks.check("no unexpected error", client.unexpected is None, client.unexpected)
        done.update(client.done)
    with pgwire.connect(port=server.port) as connection:
        total = int(connection.rows("select sum(balance) from account")[0][0])
        checks.check("total", total == ACCOUNTS * BALANCE, f"is {total}")
        rows = connection.rows("select key, number from transfer")
        keys = [row[0] for row in rows]
        checks.check("each transfer once", len(keys) == len(set(keys)),
                     f"{len(keys) - len(set(keys))} twice")
        checks.check("all acknowledged ones, and no others", set(keys) == set(done),
                     f"{len(set(keys) ^ set(done))} differ")
        numbers = {row[0]: row[1] for row in rows}
        wrong = [key for key in done if done[key][2][0][0] != numbers.get(key)]
        checks.check("each was told what it did", not wrong, f"{wrong[:5]}")
        known = int(connection.rows("select count(*) from tusk_idempotency_keys")[0][0])
        checks.check("the view has them", known >= len(done), f"{known} of {len(done)}")
    print(f"{len(done)} transfers, {sum(client.repeats for client in clients)} repeated")
    checks.check("there were repeats", sum(client.repeats for client in clients) > 0)


def two_at_once(checks, port):
    one, two, looker = (pgwire.connect(port=port) for _ in range(3))
    looker.query("create table note (id int primary key, v text)")
    for number, end in enumerate(("commit", "rollback", "cancel")):
        one.query(f"begin; set local tusk.idempotency_key = 'two {end}'")
        one.rows(f"insert into note values ({number}, 'one') returning v")
        result = []

        def second(number=number, end=end, result=result):
            try:
                result.append(keyed(two, f"two {end}",
                                    f"insert into note values ({number}, 'one') returning v"))
            except pgwire.Error as error:
                result.append(error.sqlstate)
        thread = threading.Thread(target=second)
        thread.start()
        until = time.monotonic() + 20
        while time.monotonic() < until and not looker.rows("select 1 from pg_locks where not granted"):
            time.sleep(0.01)
        checks.check(f"{end}: the second waits", not result)
        if end == "cancel":
            two.cancel()
            thread.join()
            one.query("rollback")
            checks.check("the wait was cancelled", result == ["57014"], f"{result}")
            continue
        one.query(end)
        thread.join()
        checks.check(f"{end}: the second's answer", result == [[[("one",)]]], f"{result}")
        count = looker.rows(f"select count(*) from note where id = {number}")[0][0]
        checks.check(f"{end}: once", count == "1")
    two.query("set lock_timeout = '50ms'")
    one.query("begin; set local tusk.idempotency_key = 'slow'; insert into note values (100, 'x')")
    try:
        keyed(two, "slow", "insert into note values (100, 'x')")
        checks.check("lock_timeout", False)
    except pgwire.Error as error:
        checks.check("lock_timeout", error.sqlstate == "55P03", str(error))
    one.query("rollback")
    # A cycle of keys is a deadlock like any other.
    two.query("set lock_timeout = 0")
    one.query("begin; set local tusk.idempotency_key = 'k1'; select 1")
    two.query("begin; set local tusk.idempotency_key = 'k2'; insert into note values (200, 'two')")
    failed = []

    def into(connection, statement):
        try:
            connection.query(statement)
        except pgwire.Error as error:
            failed.append(error.sqlstate)
    one.query("select 1")
    thread = threading.Thread(target=into, args=(one, "insert into note values (200, 'one')"))
    thread.start()
    time.sleep(0.1)
    two.query("commit")
    thread.join()
    checks.check("keys of their own do not meet", failed == ["23505"], f"{failed}")
    one.query("rollback")
    for connection in (one, two, looker):
        connection.close()


def copies(checks, port):
    with pgwire.connect(port=port) as connection:
        connection.query("create table copied (a int, b text)")
        data = b"".join(b"%d\tline %d\n" % (i, i) for i in range(20000))

        def copy(data):
            connection.query("begin; set local tusk.idempotency_key = 'copy'")
            try:
                connection.copy_in("copy copied from stdin", data)
                rows = connection.copy_out("copy (select a from copied where a < 3 order by a) to stdout")
                connection.query("commit")
                return rows
            except pgwire.Error as error:
                connection.query("rollback")
                return error.sqlstate
        first = copy(data)
        again = copy(data)
        checks.check("COPY again", again == first, f"{again} instead of {first}")
        count = connection.rows("select count(*) from copied")[0][0]
        checks.check("COPY took effect once", count == "20000", count)
        other = copy(data.replace(b"line 19999", b"line 2"))
        checks.check("COPY of other data", other == "TI001", f"{other}")


def extended(checks, port):
    with pgwire.connect(port=port) as connection:
        connection.query("create table e (a int primary key, b text)")
        answers = []
        for formats in ((), (1,)):   # a parameter as text, then as binary
            connection.query("begin; set local tusk.idempotency_key = 'ext'")
            param = b"\0\0\0\7" if formats else "7"
            answers.append(connection.execute("insert into e values ($1, 'x') returning a, b",
                                              [param], types=[23], formats=formats).rows)
            connection.query("commit")
        checks.check("text or binary, one request", answers[0] == answers[1] == [("7", "x")],
                     f"{answers}")
        try:
            connection.query("begin; set local tusk.idempotency_key = 'ext'")
            connection.execute("insert into e values ($1, 'x') returning a, b", ["8"], types=[23])
            checks.check("another parameter", False)
        except pgwire.Error as error:
            checks.check("another parameter", error.sqlstate == "TI001", str(error))
        connection.query("rollback")
        tags = []
        for _ in range(2):           # rows by and by
            connection.query("begin; set local tusk.idempotency_key = 'portal'")
            connection.parse("select g from generate_series(1, 5) g")
            connection.bind()
            for _ in range(3):
                connection.execute_portal(rows_max=2)
            connection.sync()
            result = connection.collect()
            tags.append([(part.rows, part.tag, part.suspended) for part in result])
            connection.query("commit")
        checks.check("a portal read in parts", tags[0] == tags[1] and len(tags[0]) == 3,
                     f"{tags}")


def expiry(checks, build):
    with Server(build, ["-c", "tusk.idempotency_ttl=1s"]) as server:
        with pgwire.connect(port=server.port) as connection:
            connection.query("create table x (a int)")
            for i in range(1200):
                connection.query(f"set tusk.idempotency_key = 'x{i}'; insert into x values (1)")
            time.sleep(1.1)
            keyed(connection, "x7", "insert into x values (1)")
            count = connection.rows("select count(*) from x")[0][0]
            checks.check("an expired key is free", count == "1201", count)
            until = time.monotonic() + 60
            while time.monotonic() < until:
                left = int(connection.rows("select count(*) from tusk_idempotency_keys")[0][0])
                if left == 0:
                    break
                time.sleep(0.2)
            checks.check("expired keys go", left == 0, f"{left} are left")


def restored(checks, server, build):
    """Keys come back with the data, from a backup and the log behind it."""
    folder = tempfile.mkdtemp(prefix="tusk_idem_")
    try:
        with pgwire.connect(port=server.port) as connection:
            connection.query("create table r (a int)")
            keyed(connection, "r1", "insert into r values (1) returning a")
            connection.rows(f"select tusk_backup('{folder}/backup')")
        os.makedirs(f"{folder}/data", exist_ok=True)
        subprocess.run([server.binary, "--data", f"{folder}/data/data", "--restore",
                        f"{folder}/backup"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        with Server(build, directory=f"{folder}/data") as other:
            with pgwire.connect(port=other.port) as connection:
                answer = keyed(connection, "r1", "insert into r values (1) returning a")
                count = connection.rows("select count(*) from r")[0][0]
                checks.check("restored: once", (answer, count) == ([[("1",)]], "1"),
                             f"{answer} {count}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", default="release")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=1.0)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    options = arguments.parse_args()
    print(f"idempotency.py --rounds {options.rounds} --seed {options.seed} --build {options.build}")
    checks = Checks()
    with Server(options.build, ["--checkpoint-log", "4MB"]) as server:
        two_at_once(checks, server.port)
        copies(checks, server.port)
        extended(checks, server.port)
        restored(checks, server, options.build)
        crashes(checks, server, options)
    expiry(checks, options.build)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
