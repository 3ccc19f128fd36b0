#!/usr/bin/env python3
"""Starting, refusing to start, serving many, and ending: tuskd as whoever runs it meets it.

    tests/system/lifecycle.py [BUILD] [--long]

--long waits for what idle connections give back (some 40 seconds more).
"""
import os
import random
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

IDLE_CONNECTIONS = 2000
IDLE_KIB_MAX = 28       # with sanitizers it is more and not checked
RESTING_KIB_MAX = 36    # the aim is 32; 31 are usual


def connect(server, **more):
    return pgwire.connect(port=server.port, user="postgres", database="postgres", **more)


def fails(action):
    """The Error of an action, or None."""
    try:
        action()
    except pgwire.Error as error:
        return error
    return None


def farewell(connection):
    """The SQLSTATE that the server says unasked before it closes the connection."""
    sqlstate = "nothing"
    try:
        connection.sock.settimeout(10)
        while True:
            message = connection.receive()
            if message.type == "E":
                sqlstate = pgwire.parse_fields(message.body)["C"]
    except pgwire.ConnectionLost:
        return sqlstate
    except OSError:
        return "still open"


def start_output(server, data, *arguments, uid=None, port=0, binary=None):
    """Status and words of a tuskd that is expected to refuse."""
    def become():
        if uid is not None:
            os.setgid(uid)
            os.setuid(uid)
    run = subprocess.run([binary or server.binary, "--data", data, "--port", str(port), *arguments],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                         preexec_fn=become, check=False)
    return run.returncode, run.stdout + run.stderr


def refusals(checks, build):
    with Server(build) as server:
        folder = tempfile.mkdtemp(prefix="tusk_test_")
        os.chmod(folder, 0o755)
        data = os.path.join(server.directory, "data")
        status, words = start_output(server, data)
        checks.check("a second server on the same directory is refused",
                     status == 1 and "is in use" in words, words)
        status, words = start_output(server, os.path.join(folder, "other"), port=server.port)
        checks.check("a port in use is refused", status == 1 and "Address already in use" in words
                     and "Is another server already running" in words, words)
        checks.check("the first still serves", connect(server).query("select 1")[0].rows == [("1",)])
        path = os.path.join(folder, "file")
        with open(path, "w"):
            pass
        status, words = start_output(server, path)
        checks.check("a file is no directory", status == 1 and path in words, words)
        status, words = start_output(server, os.path.join(folder, "no", "such"))
        checks.check("a missing parent is named",
                     status == 1 and "No such file or directory" in words, words)
        if os.getuid() == 0:
            locked = os.path.join(folder, "locked")
            os.mkdir(locked, 0o700)
            # A copy, for another user may not be able to reach the one in our tree.
            reachable = shutil.copy(server.binary, folder)
            status, words = start_output(server, locked, uid=65534, binary=reachable)
            checks.check("an unreadable directory is named",
                         status == 1 and "Permission denied" in words, words)
        for arguments, wanted in [(["--port", "x"], 2), (["--port", "65536"], 2),
                                  (["--nonsense"], 2), (["extra"], 2), (["--cache-size", "1XB"], 2),
                                  (["--host", "127.example.org"], 1), (["--max-connections", "0"], 2),
                                  (["--max-connections", "99999"], 1)]:
            status, words = start_output(server, os.path.join(folder, "x"), *arguments)
            checks.check(f"{' '.join(arguments)} is refused", status == wanted and words != "",
                         f"{status} {words}")
        run = subprocess.run([server.binary, "--help"], capture_output=True, text=True, check=False)
        checks.check("--help", run.returncode == 0 and "Usage:" in run.stdout)
        run = subprocess.run([server.binary, "--version"], capture_output=True, text=True,
                             check=False)
        checks.check("--version", run.returncode == 0 and run.stdout.startswith("tuskd "))
        run = subprocess.run([server.binary], capture_output=True, text=True, check=False)
        checks.check("no directory", run.returncode == 2 and "--data" in run.stderr)
        shutil.rmtree(folder)


def ends(checks, build):
    """What each signal does to whom."""
    with Server(build) as server:
        connection = connect(server)
        connection.query("create table t (a int primary key)")
        silent = socket.create_connection(("127.0.0.1", server.port))
        half = socket.create_connection(("127.0.0.1", server.port))
        half.sendall(struct.pack("!II", 100, 196608) + b"user\0")
        start = time.monotonic()
        status = server.stop(signal.SIGTERM, 20)
        checks.check("SIGTERM ends idle and silent connections at once",
                     status == 0 and time.monotonic() - start < 5, f"{status}")
        words = farewell(connection)
        checks.check("an idle session is told why", words == "57P01", words)
        silent.close()
        half.close()

        server.start()
        connection = connect(server)
        connection.query("begin; insert into t values (1)")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        checks.check("SIGTERM waits for a transaction", server.alive())
        refused = False
        try:
            connect(server)
        except (pgwire.ConnectionLost, pgwire.Error):
            refused = True
        checks.check("no new connections meanwhile", refused)
        connection.query("commit")
        checks.check("it ends after the commit", server.process.wait(20) == 0)

        server.start()
        connection = connect(server)
        checks.check("the row is there", connection.query("select a from t")[0].rows == [("1",)])
        connection.query("begin; insert into t values (2)")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGINT)
        checks.check("SIGINT aborts what SIGTERM waited for", server.process.wait(20) == 0)

        server.start()
        connection = connect(server)
        checks.check("an aborted row is not", connection.query("select a from t")[0].rows == [("1",)])
        # A client that does not read: SIGINT must not wait for it.
        deaf = connect(server)
        deaf.send(b"Q", pgwire.cstr("select repeat('x', 1000) from generate_series(1, 1000000)"))
        time.sleep(0.5)
        start = time.monotonic()
        status = server.stop(signal.SIGINT, 30)
        checks.check("SIGINT ends a statement whose client does not read",
                     status == 0 and time.monotonic() - start < 10, f"{status}")

        server.start()
        connection = connect(server)
        connection.query("insert into t values (3)")
        status = server.stop(signal.SIGQUIT, 20)
        checks.check("SIGQUIT ends at once, with a status", status not in (0, None), f"{status}")
        server.start()
        connection = connect(server)
        rows = connection.query("select a from t order by a")[0].rows
        checks.check("and loses nothing", rows == [("1",), ("3",)], f"{rows}")

        # Told to end while it starts.
        server.stop(signal.SIGTERM, 20)
        chance = random.Random(11)
        for _ in range(20):
            process = subprocess.Popen(
                [server.binary, "--data", os.path.join(server.directory, "data"), "--port", "0"],
                stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            time.sleep(chance.random() * 0.15)
            process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                status = "hung"
            checks.check("SIGTERM while starting ends it", status in (0, -signal.SIGTERM),
                         f"{status}")
        server.start()


def timeouts_and_limits(checks, build):
    with Server(build, ["--max-connections", "5"]) as server:
        error = fails(lambda: pgwire.connect(port=server.port, user="x\nFATAL: forged"))
        checks.check("a role that is not there is 28000", error is not None
                     and error.sqlstate == "28000", str(error))
        checks.check("names do not forge lines of the log", "\nFATAL: forged" not in server.tail(50),
                     server.tail(3))
        connections = [connect(server) for _ in range(5)]
        error = fails(lambda: connect(server))
        checks.check("one too many is 53300", error is not None and error.sqlstate == "53300",
                     str(error))
        connections.pop().close()
        time.sleep(0.2)
        connections.append(connect(server))
        first = connections[0]
        first.query("set idle_session_timeout = 200")
        words = farewell(first)
        checks.check("idle_session_timeout ends a session", words == "57P05", words)
        second = connections[1]
        second.query("create table locked (a int)")
        second.query("set idle_in_transaction_session_timeout = 200")
        second.query("begin; lock table locked")
        third = connections[2]
        rows = third.query("select count(*) from locked")[0].rows
        checks.check("idle_in_transaction_session_timeout frees locks", rows == [("0",)])
        fourth = connections[3]
        fourth.query("begin; lock table locked")
        fourth.sock.close()  # without a word
        start = time.monotonic()
        third.query("select count(*) from locked")
        checks.check("a client that vanishes frees its locks", time.monotonic() - start < 5)


def cancels(checks, build):
    with Server(build) as server:
        connection = connect(server)
        other = connect(server)

        def run(what):
            outcome = []
            def work():
                outcome.append(fails(lambda: connection.query("select pg_sleep(20)")))
            thread = threading.Thread(target=work)
            start = time.monotonic()
            thread.start()
            time.sleep(0.3)
            what()
            thread.join(25)
            error = outcome[0] if outcome else None
            return error is not None and error.sqlstate == "57014" and time.monotonic() - start < 10

        checks.check("a cancel request cancels", run(connection.cancel))
        checks.check("the session lives on", connection.query("select 1")[0].rows == [("1",)])
        checks.check("pg_cancel_backend cancels", run(
            lambda: other.query(f"select pg_cancel_backend({connection.pid})")))
        checks.check("still", connection.query("select 1")[0].rows == [("1",)])
        secret = connection.secret
        connection.secret = secret ^ 1
        connection.cancel()
        connection.secret = secret
        checks.check("a wrong secret does nothing",
                     connection.query("select pg_sleep(0.2)")[0].tag == "SELECT 1")
        connection.cancel()
        time.sleep(0.2)
        checks.check("a cancel between statements is forgotten",
                     connection.query("select pg_sleep(0.1)")[0].tag == "SELECT 1")
        # What waits for a lock can be cancelled too.
        other.query("create table locked (a int)")
        other.query("begin; lock table locked")
        outcome = []
        thread = threading.Thread(
            target=lambda: outcome.append(fails(lambda: connection.query("select * from locked"))))
        thread.start()
        time.sleep(0.3)
        connection.cancel()
        thread.join(20)
        checks.check("a wait for a lock is cancelled",
                     outcome and outcome[0] is not None and outcome[0].sqlstate == "57014")
        other.query("rollback")
        other.query(f"select pg_terminate_backend({connection.pid})")
        checks.check("pg_terminate_backend ends a session", connection.at_end(5))


HEAVY = """
select (2::numeric ^ 200000) is null
select length((9.9::numeric ^ 30000)::text)
select (10::numeric ^ 130000) * (10::numeric ^ 1000) is null
select div(10::numeric ^ 50000, 7::numeric ^ 20000) is null
select sqrt(10::numeric ^ 100000) is null
select exp(5000::numeric) is null
select ln(10::numeric ^ 50000) is null
select factorial(20000) is null
select gcd(10::numeric ^ 50000, 7::numeric ^ 50000) is null
select length(lpad('x', 200000000))
select repeat('a', 30) ~ '(a+)+b'
select repeat('a', 100000) ~ '(a*)*b'
select repeat('a', 20000) like repeat('%a', 5000) || 'b'
select position(repeat('a', 5000) || 'b' in repeat('a', 2000000))
select replace(repeat('a', 5000000), 'a', 'bb') is null
select to_char(now(), repeat('YYYY', 500000)) is null
select to_number(repeat('9', 100000), repeat('9', 100000)) is null
select count(*) from generate_series(1, 100000000)
select count(*) from generate_series(1, 30000) a, generate_series(1, 30000) b where a = b + 1.0
with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r
"""


def heavy(checks, build):
    """One statement must not take the server with it, nor hold it up for long after its timeout."""
    with Server(build) as server:
        for text in HEAVY.strip().split("\n"):
            connection = connect(server)
            connection.sock.settimeout(120)
            connection.query("set statement_timeout = 500")
            start = time.monotonic()
            try:
                outcome = fails(lambda: connection.query(text))
                lived = True
            except (pgwire.ConnectionLost, OSError) as error:
                outcome, lived = error, False
            took = time.monotonic() - start
            checks.check(f"{text[:70]}: the server lives", lived and server.alive(),
                         f"{outcome} {server.tail(3)}")
            checks.check(f"{text[:70]}: ends in time", took < 10 or build != "release",
                         f"{took:.1f} s {outcome}")
            if not server.alive():
                server.start()
            connection.sock.close()


def resident_kib(server):
    with open(f"/proc/{server.process.pid}/status") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    return 0


def many(checks, build, long):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with Server(build) as server:
        worker = connect(server)
        worker.query("create table t (a int primary key, b text);"
                     "insert into t select g, 'x' || g::text from generate_series(1, 1000) g")
        before = resident_kib(server)
        idle = []
        for i in range(IDLE_CONNECTIONS):
            idle.append(connect(server))
        each = (resident_kib(server) - before) / IDLE_CONNECTIONS
        print(f"{IDLE_CONNECTIONS} idle connections: {each:.1f} KiB each", flush=True)
        checks.check("an idle connection is small", each <= IDLE_KIB_MAX or build != "release",
                     f"{each:.1f} KiB")
        start = time.monotonic()
        for _ in range(200):
            worker.query("select b from t where a = 7")
        print(f"a query beside them: {(time.monotonic() - start) * 5:.2f} ms", flush=True)
        for i, connection in enumerate(idle):
            connection.query(f"select b from t where a = {i % 1000 + 1}")
            connection.query("select count(*), min(b) from t where a < 10 group by a % 2")
        each = (resident_kib(server) - before) / IDLE_CONNECTIONS
        print(f"after two queries each: {each:.1f} KiB each", flush=True)
        time.sleep(2.5)
        each = (resident_kib(server) - before) / IDLE_CONNECTIONS
        print(f"2.5 seconds later: {each:.1f} KiB each", flush=True)
        checks.check("a connection that rests is small", each <= RESTING_KIB_MAX or build != "release",
                     f"{each:.1f} KiB")
        worker.query("begin")
        worker.parse("select a from t order by a")
        worker.bind(portal="c")
        worker.execute_portal("c", 10)
        worker.sync()
        worker.until_ready()
        if long:
            time.sleep(40)
            each = (resident_kib(server) - before) / IDLE_CONNECTIONS
            print(f"after 40 seconds of silence: {each:.1f} KiB each", flush=True)
            checks.check("a silent connection gives memory back",
                         each <= IDLE_KIB_MAX or build != "release", f"{each:.1f} KiB")
        good = sum(connection.query("select 1")[0].rows == [("1",)] for connection in idle)
        checks.check("all still answer", good == IDLE_CONNECTIONS, f"{good}")
        worker.execute_portal("c", 2)
        worker.sync()
        rows = [pgwire.parse_data_row(m.body) for m in worker.until_ready() if m.type == "D"]
        checks.check("a portal goes on where it was", rows == [("11",), ("12",)], f"{rows}")
        worker.query("commit")
        start = time.monotonic()
        status = server.stop(signal.SIGTERM, 30)
        checks.check("and end quickly", status == 0 and time.monotonic() - start < 15)


def few_descriptors(checks, build):
    """A full house must not stop the log."""
    with Server(build) as server:
        server.stop()
        wrapper = os.path.join(server.directory, "tuskd_256")
        with open(wrapper, "w") as file:
            file.write(f'#!/bin/sh\nulimit -n 256\nexec {server.binary} "$@"\n')
        os.chmod(wrapper, 0o755)
        server.binary = wrapper
        server.start()
        good = connect(server)
        good.query("create table t (a int)")
        opened = []
        for _ in range(400):
            opened.append(socket.create_connection(("127.0.0.1", server.port)))
        time.sleep(0.5)
        good.query("insert into t select generate_series(1, 10000)")
        good.query("checkpoint")
        rows = good.query("select count(*) from t")[0].rows
        checks.check("with no descriptors left for clients, work goes on", rows == [("10000",)])
        checks.check("and the log says why", "file descriptors" in server.tail(50), server.tail(5))
        for sock in opened:
            sock.close()
        time.sleep(0.5)
        checks.check("later ones are served", connect(server).query("select 1")[0].rows == [("1",)])


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    build = arguments[0] if arguments else "release"
    checks = Checks()
    refusals(checks, build)
    ends(checks, build)
    timeouts_and_limits(checks, build)
    cancels(checks, build)
    few_descriptors(checks, build)
    heavy(checks, build)
    many(checks, build, "--long" in sys.argv)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
