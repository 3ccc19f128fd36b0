#!/usr/bin/env python3
"""Base backups under writers, and restores to positions and times, compared with what was there.

    tests/system/backup.py [--build release] [--seconds 1.0]

Clients move money. Now and then they pause, and the state is noted with its position in the log and
the time. Every noted state must come back from backup and archive, and nothing of later ones.
"""
import argparse
import datetime
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

ACCOUNTS = 200


class Writers:
    """Clients that transfer until they are told to pause."""

    def __init__(self, server, count=4):
        self.server, self.go, self.end = server, threading.Event(), False
        self.busy, self.lock, self.failed = 0, threading.Lock(), None
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        chance = random.Random(number)
        try:
            connection = pgwire.connect(port=self.server.port, timeout=120)
            while not self.end:
                if not self.go.wait(0.1):
                    continue
                with self.lock:
                    self.busy += 1
                if self.go.is_set():
                    self.transfer(connection, chance)
                with self.lock:
                    self.busy -= 1
        except (pgwire.Error, ConnectionError, OSError) as error:
            if not self.end:
                self.failed = str(error)

    @staticmethod
    def transfer(connection, chance):
        a, b = sorted(chance.sample(range(ACCOUNTS), 2))
        try:
            connection.query(f"begin; update account set balance = balance - 1 where id = {a};"
                             f"update account set balance = balance + 1 where id = {b};"
                             f"insert into transfer (a, b, t) values ({a}, {b},"
                             f" repeat('{a} {b} ', 40)); commit")
        except pgwire.Error as error:
            if error.sqlstate not in ("40P01", "40001"):
                raise
            connection.query("rollback")

    def pause(self):
        self.go.clear()
        while True:
            with self.lock:
                if self.busy == 0:
                    return
            time.sleep(0.005)

    def work(self, seconds):
        self.go.set()
        time.sleep(seconds)
        self.pause()

    def stop(self):
        self.end = True
        for thread in self.threads:
            thread.join()


STATE = ("select (select count(*) from transfer), (select sum(balance) from account),"
         " (select sum(id * balance) from account), (select sum(length(t)) from transfer)")


def state(port):
    with pgwire.connect(port=port, timeout=120) as connection:
        return connection.rows(STATE)[0]


class Note:
    def __init__(self, server):
        with pgwire.connect(port=server.port) as connection:
            self.lsn = connection.rows("select tusk_current_lsn()")[0][0]
        self.state = state(server.port)
        time.sleep(0.05)
        now = datetime.datetime.now(datetime.timezone.utc)
        self.time = now.strftime("%Y-%m-%d %H:%M:%S.%f+00")
        time.sleep(0.05)


def wait_for_archive(archive, lsn):
    """Until the log is there to this position: about a second, on a machine that has time."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        reach = 0
        for name in os.listdir(archive):
            try:
                size = os.path.getsize(os.path.join(archive, name))
            except FileNotFoundError:   # renamed just now
                continue
            reach = max(reach, (int(name[:16], 16) << 26) + size)
        if reach >= int(lsn, 16):
            return True
        time.sleep(0.1)
    return False


def restore(server, folder, *arguments):
    run = subprocess.run([server.binary, "--data", os.path.join(folder, "data"), *arguments],
                         capture_output=True, text=True, timeout=120, check=False)
    return run.returncode, run.stdout + run.stderr


def restored_state(checks, server, build, what, *arguments, more=None):
    folder = tempfile.mkdtemp(prefix="tusk_test_")
    try:
        status, words = restore(server, folder, *arguments)
        checks.check(f"{what}: restored", status == 0, words)
        if status != 0:
            return None
        with Server(build, directory=folder) as copy:   # ends with --check
            found = state(copy.port)
            with pgwire.connect(port=copy.port) as connection:
                connection.query("insert into transfer (a, b, t) values (1, 2, 'new'); checkpoint")
            copy.kill()
            copy.start()
            after = state(copy.port)
            checks.check(f"{what}: it lives on", int(after[0]) == int(found[0]) + 1, after)
            if more is not None:
                more(copy, folder)
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", default="release")
    arguments.add_argument("--seconds", type=float, default=0.5)
    options = arguments.parse_args()
    checks = Checks()
    top = tempfile.mkdtemp(prefix="tusk_test_")
    archive, backup = os.path.join(top, "archive"), os.path.join(top, "backup")
    server = Server(options.build, ["--checkpoint-log", "2MB", "-c", f"archive_directory={archive}"])
    try:
        server.start()
        connection = pgwire.connect(port=server.port, timeout=120)
        connection.query("create table account (id int primary key, balance int not null);"
                         "create table transfer (a int, b int, t text);"
                         "create index on transfer (a, b);"
                         f"insert into account select i, 100 from generate_series(0, {ACCOUNTS - 1}) i")
        writers = Writers(server)
        writers.work(options.seconds)
        before = Note(server)

        # A backup while they write, and states after it.
        writers.go.set()
        end = connection.rows(f"select tusk_backup('{backup}')")[0][0]
        time.sleep(options.seconds / 4)
        writers.pause()
        checks.check("a backup says where it ends", int(end, 16) > int(before.lsn, 16), end)
        notes = []
        for i in range(3):
            notes.append(Note(server))
            if i == 1:      # in the middle: a crash, and recovery
                server.kill()
                writers.stop()
                server.start()
                writers = Writers(server)
            writers.work(options.seconds)
        notes.append(Note(server))
        checks.check("the writers were not disturbed", writers.failed is None, writers.failed)
        writers.stop()
        checks.check("they did something", int(notes[-1].state[0]) > int(before.state[0]) + 50,
                     notes[-1].state)
        checks.check("the archive follows", wait_for_archive(archive, notes[-1].lsn))

        status, words = restore(server, server.directory, "--restore", backup)
        checks.check("a directory that is not empty is refused", status == 1
                     and "not empty" in words, words)
        found = restored_state(checks, server, options.build, "the backup alone", "--restore", backup)
        checks.check("the backup alone: between what was before and after", found is not None
                     and int(before.state[0]) <= int(found[0]) <= int(notes[0].state[0])
                     and found[1] == before.state[1], f"{before.state} {found} {notes[0].state}")
        def same_archive(copy, folder):
            copy.stop()
            run = subprocess.run([copy.binary, "--data", os.path.join(folder, "data"), "--port", "0",
                                  "-c", f"archive_directory={archive}"], capture_output=True,
                                 text=True, timeout=60, check=False)
            checks.check("another history is kept out of the archive", run.returncode == 1
                         and "not of this log" in run.stderr and "HINT" in run.stderr, run.stderr)
            copy.start()
        for i, note in enumerate(notes):
            found = restored_state(checks, server, options.build, f"state {i} by position",
                                   "--restore", backup, "--archive", archive, "--target-lsn",
                                   note.lsn, more=same_archive if i == 1 else None)
            checks.check(f"state {i} by position", found == note.state, f"{found} {note.state}")
        for i, note in enumerate(notes[:-1]):
            found = restored_state(checks, server, options.build, f"state {i} by time", "--restore",
                                   backup, "--archive", archive, "--target-time", note.time)
            checks.check(f"state {i} by time", found == note.state, f"{found} {note.state}")

        found = restored_state(checks, server, options.build, "all", "--restore", backup,
                               "--archive", archive)
        checks.check("all that was archived", found == notes[-1].state, f"{found} {notes[-1].state}")
        for words_of, target in [("later point", ["--target-lsn", before.lsn]),
                                 ("later point", ["--target-time", before.time]),
                                 ("the log ends", ["--target-lsn", "FFFFFFFFFF"]),
                                 ("the log ends", ["--target-time", "2999-01-01"]),
                                 ("position in the log", ["--target-lsn", "soon"]),
                                 ("invalid input", ["--target-time", "soon"])]:
            folder = tempfile.mkdtemp(prefix="tusk_test_")
            status, words = restore(server, folder, "--restore", backup, "--archive", archive, *target)
            checks.check(f"{' '.join(target)}: refused with words", status == 1 and words_of in words,
                         words)
            if os.path.exists(os.path.join(folder, "data")):
                status, words = restore(server, folder, "--port", "0")
                checks.check("what is left is not taken for a database", status == 1
                             and "not finished" in words, words)
            shutil.rmtree(folder)

        # Killed while it makes a backup, and while it restores one.
        connection = pgwire.connect(port=server.port, timeout=120)
        connection.query("create table bulk (i int primary key, t text);"
                         "insert into bulk select i, md5(i::text) || md5((-i)::text)"
                         " from generate_series(1, 400000) i")
        want = state(server.port)
        half = os.path.join(top, "half")

        def ask():
            try:
                pgwire.connect(port=server.port, timeout=120).query(f"select tusk_backup('{half}')")
            except (pgwire.Error, ConnectionError, OSError):
                pass
        asker = threading.Thread(target=ask)
        asker.start()
        until = time.monotonic() + 60
        while not os.path.exists(os.path.join(half, "data.tusk")) and time.monotonic() < until:
            time.sleep(0.002)
        server.kill()
        asker.join()
        if os.path.exists(os.path.join(half, "incomplete.tusk")):
            folder = tempfile.mkdtemp(prefix="tusk_test_")
            status, words = restore(server, folder, "--restore", half)
            checks.check("half a backup is not restored", status == 1 and "not finished" in words, words)
            shutil.rmtree(folder)
            run = subprocess.run([server.binary, "--data", half, "--port", "0"], capture_output=True,
                                 text=True, timeout=60, check=False)
            checks.check("nor started on", run.returncode == 1 and "not finished" in run.stderr,
                         run.stderr)
        server.start()
        checks.check("the server is as it was", state(server.port) == want)
        second = os.path.join(top, "second")
        connection = pgwire.connect(port=server.port, timeout=120)
        connection.query(f"select tusk_backup('{second}')")
        folder = tempfile.mkdtemp(prefix="tusk_test_")
        killed = 0
        for delay in (0.01, 0.05, 0.1, 0.2):
            process = subprocess.Popen([server.binary, "--data", os.path.join(folder, "data"),
                                        "--restore", second, "--archive", archive],
                                       stderr=subprocess.DEVNULL)
            time.sleep(delay)
            process.kill()
            if process.wait() != 0 and os.path.exists(os.path.join(folder, "data")):
                killed += 1
                status, words = restore(server, folder, "--port", "0", "--check")
                whole = not os.path.exists(os.path.join(folder, "data", "incomplete.tusk"))
                checks.check("half a restore is not taken for a database", whole or status != 0, words)
            shutil.rmtree(os.path.join(folder, "data"), ignore_errors=True)
        shutil.rmtree(folder)
        found = restored_state(checks, server, options.build, "after all that", "--restore", second,
                               "--archive", archive)
        checks.check("after all that", found == want, f"{found} {want}")
    finally:
        server.__exit__(*sys.exc_info())
        shutil.rmtree(top, ignore_errors=True)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
