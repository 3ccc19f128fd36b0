#!/usr/bin/env python3
"""What disks, file systems and people do to a server's files: it says so, and loses nothing.

    tests/system/faults.py [--build release] [--long] [--only NAME]

Faults come from tests/faults/disk_faults.c (LD_PRELOAD: a full disk, errors of read, write and sync,
a death at the n-th change of the disk) and from a small tmpfs, a limit on file size, and hands that
delete, cut and overwrite. The tmpfs needs a privilege; without it that part is skipped, in words.
"""
import argparse
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import ROOT, Checks, Server

ENOSPC, EIO = 28, 5
KILL = 0
OPTIONS = None


class Faulty(Server):
    """A server on a disk that fails on demand."""

    def __init__(self, arguments=(), directory=None):
        super().__init__(OPTIONS.build, arguments, directory)
        self.orders = os.path.join(self.directory, "orders")
        self.sound = False  # where they should be, the test says so itself
        self.well()
        self.environment = dict(os.environ, TUSK_FAULTS=self.orders, LD_PRELOAD=os.path.join(
            ROOT, "build", "release", "disk_faults.so"))

    def order(self, *lines):
        with open(self.orders + ".new", "w") as file:
            file.write("\n".join(f"{line} 0 0" if line.count(" ") == 2 else line for line in lines))
        os.rename(self.orders + ".new", self.orders)

    def well(self):
        self.order()

    @property
    def data(self):
        return os.path.join(self.directory, "data")

    def path(self, name):
        return os.path.join(self.data, name)

    def refuses(self):
        """Status and words of a start that is expected to fail."""
        run = subprocess.run([self.binary, "--data", self.data, "--port", "0"],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                             env=self.environment, check=False)
        return run.returncode, run.stdout + run.stderr

    def ended(self, timeout=60):
        """The status with which the server ended by itself."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def segments(self):
        return sorted(name for name in os.listdir(self.path("wal")) if name.endswith(".wal"))


def connect(server):
    return pgwire.connect(port=server.port, timeout=120)


def error_of(connection, sql):
    """SQLSTATE and words, or "lost", or "none"."""
    try:
        connection.query(sql)
    except pgwire.Error as error:
        return error.sqlstate, error.message + " " + error.fields.get("H", "")
    except (ConnectionError, OSError) as error:
        return "lost", str(error)
    return "none", ""


def number(connection, sql):
    return int(connection.rows(sql)[0][0])


def sound(checks, server, what):
    """Stop the server and let tuskd --check look."""
    if server.alive():
        server.stop()
    fault = server.check()
    checks.check(f"{what}: --check finds nothing", fault is None, fault)


NOISE = "(select string_agg(md5((i * 1000::bigint + j)::text), '') from generate_series(1, 60) j)"


# ---- a full disk


def fill(connection, start, count=2000):
    """Rows until the disk says no; what was acknowledged, and the error."""
    acknowledged = 0
    for at in range(start, start + 100 * count, count):
        outcome = error_of(connection, f"insert into t select i, {NOISE}"
                                       f" from generate_series({at}, {at + count - 1}) i")
        if outcome[0] != "none":
            return acknowledged, outcome
        acknowledged += count
    return acknowledged, ("none", "")


def full(checks, server, make_full, make_room, what):
    with server:
        connection = connect(server)
        connection.query("create table t (id int primary key, v text)")
        acknowledged, outcome = 0, ("none", "")
        make_full(connection)
        before = number(connection, "select count(*) from t")
        acknowledged, outcome = fill(connection, 1000000)
        checks.check(f"{what}: a transaction gets 53100 and words", outcome[0] == "53100"
                     and "No space left" in outcome[1] and server.directory in outcome[1], outcome)
        checks.check(f"{what}: the server goes on", server.alive()
                     and number(connection, "select count(*) from t") == before + acknowledged)
        outcome = error_of(connection, "checkpoint")
        checks.check(f"{what}: a checkpoint says so", outcome[0] == "53100", outcome)
        checks.check(f"{what}: the log says so, too", "No space left" in server.tail(100),
                     server.tail(5))
        server.kill()
        make_room()
        server.start()
        connection = connect(server)
        checks.check(f"{what}: killed while full, nothing is lost",
                     number(connection, "select count(*) from t") == before + acknowledged)
        make_full(connection)
        more, outcome = fill(connection, 3000000)
        checks.check(f"{what}: full again", outcome[0] == "53100", outcome)
        acknowledged += more
        make_room()
        outcome = error_of(connection, f"insert into t select i, {NOISE}"
                                       " from generate_series(5000001, 5002000) i")
        checks.check(f"{what}: there is room again, and writing goes on", outcome[0] == "none",
                     outcome)
        acknowledged += 2000
        outcome = error_of(connection, "checkpoint")
        checks.check(f"{what}: and a checkpoint", outcome[0] == "none", outcome)
        checks.check(f"{what}: nothing is missing",
                     number(connection, "select count(*) from t") == before + acknowledged)
        sound(checks, server, what)


def full_by_shim(checks):
    server = Faulty()
    def make_full(_):   # the log's segments that are made ahead are filled first
        server.order(f"grow {server.data} {ENOSPC}")
    full(checks, server, make_full, server.well, "disk full")


def full_at_start(checks):
    server = Faulty()
    try:
        server.order(f"grow {server.data}/ {ENOSPC}")
        status, words = server.refuses()
        checks.check("no room for a new data directory: words, status 1", status == 1
                     and "No space left" in words and server.data in words, words)
        for skip in (1, 2, 3, 10, 66, 68, 70):
            shutil.rmtree(server.data, ignore_errors=True)
            server.order(f"grow {server.data}/ {ENOSPC} {skip} 0")
            status, words = server.refuses() if skip < 70 else (1, "No space left")
            checks.check(f"room for {skip} steps of a new one: words, status 1",
                         status == 1 and "No space left" in words, f"{status} {words}")
            server.well()
            server.start()
            checks.check("with room it begins anew",
                         connect(server).rows("select 1") == [("1",)])
            server.stop()
    finally:
        server.__exit__()


def full_spill(checks):
    with Faulty() as server:
        connection = connect(server)
        connection.query("set work_mem = '64kB'")
        server.order(f"write {server.path('tmp')} {ENOSPC}")
        outcome = error_of(connection, "select count(*) from (select i from"
                           " generate_series(1, 300000) i order by md5(i::text)) s")
        checks.check("a sort without room is 53100", outcome[0] == "53100"
                     and "No space left" in outcome[1], outcome)
        server.well()
        checks.check("the next has room", number(connection, "select count(*) from (select i from"
                     " generate_series(1, 30000) i order by md5(i::text)) s") == 30000)


def full_tmpfs(checks):
    """A file system that is really full."""
    folder = tempfile.mkdtemp(prefix="tusk_test_")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700m", "tmpfs", folder],
                             capture_output=True, check=False).returncode == 0
    if not mounted:
        print("skipped: a full tmpfs (mount is not permitted)", flush=True)
        os.rmdir(folder)
        return
    try:
        ballast = os.path.join(folder, "ballast")
        def make_full(_):
            with open(ballast, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 65536)
                except OSError:
                    pass
        full(checks, Faulty(directory=folder), make_full, lambda: os.unlink(ballast), "tmpfs full")
    finally:
        subprocess.run(["umount", folder], check=False)
        os.rmdir(folder)


def file_size_limit(checks):
    """ulimit -f: SIGXFSZ must not be the end."""
    with Faulty() as server:
        connection = connect(server)
        connection.query("create table t (id int primary key, v text)")
        connection.query(f"insert into t select i, {NOISE} from generate_series(1, 4000) i")
        soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4 << 20, hard))
        outcome = error_of(connection, "checkpoint")
        checks.check("beyond the limit on file size a checkpoint is 53100", outcome[0] == "53100"
                     and "File too large" in outcome[1] and "data.tusk" in outcome[1], outcome)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        checks.check("with a higher limit it is made", error_of(connection, "checkpoint")[0] == "none")
        sound(checks, server, "file size limit")


# ---- errors of the disk


def log_errors(checks):
    with Faulty() as server:
        connection = connect(server)
        connection.query("create table t (id int primary key)")
        connection.query("insert into t values (1)")
        server.order(f"write .wal {EIO}")
        outcome = error_of(connection, "insert into t values (2)")
        checks.check("a commit whose write failed is not acknowledged", outcome[0] == "lost", outcome)
        status = server.ended()
        checks.check("a failed write of the log ends the server, with words",
                     status not in (0, None) and "PANIC" in server.tail() and ".wal" in server.tail()
                     and "Input/output error" in server.tail(), f"{status} {server.tail(3)}")
        server.well()
        server.start()
        connection = connect(server)
        rows = connection.rows("select id from t order by id")
        checks.check("what was acknowledged is there", rows in ([("1",)], [("1",), ("2",)]), rows)

        server.order(f"sync data.tusk {EIO} 0 1")
        outcome = error_of(connection, "checkpoint")
        status = server.ended()
        checks.check("a failed sync of the data file ends the server, with words",
                     outcome[0] == "lost" and status not in (0, None) and "PANIC" in server.tail()
                     and "data.tusk" in server.tail(), f"{outcome} {status} {server.tail(3)}")
        server.well()
        server.start()
        connection = connect(server)
        checks.check("again all is there", connection.rows("select id from t order by id") == rows)

        server.order(f"write data.tusk {EIO}")
        outcome = error_of(connection, "checkpoint")
        checks.check("a failed write of the data file is 58030", outcome[0] == "58030"
                     and "data.tusk" in outcome[1], outcome)
        checks.check("and the server goes on", error_of(connection,
                                                        "insert into t values (3)")[0] == "none")
        server.well()
        checks.check("the next checkpoint is made", error_of(connection, "checkpoint")[0] == "none")
        server.kill()
        server.order(f"read .wal {EIO}")
        status, words = server.refuses()
        checks.check("a log that cannot be read: words, status 1", status == 1 and ".wal" in words
                     and "Input/output error" in words, words)
        server.order(f"read data.tusk {EIO}")
        status, words = server.refuses()
        checks.check("a data file that cannot be read: words, status 1", status == 1
                     and "data.tusk" in words and "Input/output error" in words, words)
        server.well()
        server.start()
        checks.check("nothing was harmed", number(connect(server), "select count(*) from t")
                     == len(rows) + 1)
        sound(checks, server, "disk errors")


def page_errors(checks):
    """A page that cannot be read, or reads as something else."""
    with Faulty() as server:
        connection = connect(server)
        connection.query("create table a (id int primary key, v text); create table b (id int)")
        connection.query(f"insert into a select i, {NOISE} from generate_series(1, 500) i")
        connection.query("insert into b values (7)")
        server.stop()
        server.start()
        connection = connect(server)
        connection.rows("select * from b")
        server.order(f"read data.tusk {EIO}")
        outcome = error_of(connection, "select sum(length(v)) from a")
        checks.check("a page that cannot be read is 58030", outcome[0] == "58030"
                     and "data.tusk" in outcome[1] and "Input/output error" in outcome[1], outcome)
        checks.check("what is in memory is served", connection.rows("select id from b") == [("7",)])
        server.well()
        total = number(connection, "select sum(length(v)) from a")
        checks.check("when the disk is well again, so is the table", total == 500 * 60 * 32)
        server.stop()
        with open(server.path("data.tusk"), "rb") as file:
            image = file.read()
        marker = b"TPG1"
        places = [at for at in range(8192, len(image), 4096) if image[at:at + 4] == marker]
        damaged = bytearray(image)
        sizes = {at: struct.unpack_from("<I", image, at + 20)[0] for at in places}
        for at in places:
            if sizes[at] > 9000:    # those of table a
                damaged[at + 5000] ^= 0xFF
        with open(server.path("data.tusk"), "wb") as file:
            file.write(damaged)
        run = subprocess.run([server.binary, "--data", server.data, "--check"], capture_output=True,
                             text=True, timeout=120, check=False)
        checks.check("--check finds damaged pages", run.returncode == 1 and "data.tusk" in run.stdout,
                     run.stdout + run.stderr)
        server.start()
        connection = connect(server)
        outcome = error_of(connection, "select sum(length(v)) from a")
        checks.check("a damaged page is XX001 with its place", outcome[0] == "XX001"
                     and "data.tusk" in outcome[1] and "offset" in outcome[1], outcome)
        checks.check("other tables are served", connection.rows("select id from b") == [("7",)])
        server.stop()
        with open(server.path("data.tusk"), "wb") as file:
            file.write(image)
        sound(checks, server, "pages")


# ---- hands


def hands(checks):
    """Files deleted, cut off, of another version, without permission, or of a server that runs."""
    with Faulty() as server:
        connection = connect(server)
        connection.query("create table t (id int primary key, v text)")
        connection.query(f"insert into t select i, {NOISE} from generate_series(1, 1000) i")
        status, words = server.refuses()
        checks.check("two servers on one directory: the second is refused", status == 1
                     and "is in use" in words and server.data in words and "HINT" in words, words)
        connection.query("checkpoint")
        connection.query("insert into t values (5000, 'x')")
        # While it runs.
        os.rename(server.path("data.tusk"), server.path("away"))
        outcome = error_of(connection, "checkpoint")
        checks.check("a data file removed under a running server is noticed",
                     outcome[0] == "58P01" and "removed" in outcome[1], outcome)
        os.rename(server.path("away"), server.path("data.tusk"))
        checks.check("put back, all is well", error_of(connection, "checkpoint")[0] == "none")
        os.rename(server.path("wal"), server.path("away"))
        os.mkdir(server.path("wal"))
        outcome = error_of(connection, "checkpoint")
        checks.check("a log removed under a running server is noticed",
                     outcome[0] == "58P01" and "removed" in outcome[1], outcome)
        os.rmdir(server.path("wal"))
        os.rename(server.path("away"), server.path("wal"))
        checks.check("put back, all is well again", error_of(connection, "checkpoint")[0] == "none")
        connection.query("insert into t values (5001, 'x')")
        server.kill()

        saved = server.directory + "/saved"
        shutil.copytree(server.data, saved)

        def again():
            shutil.rmtree(server.data)
            shutil.copytree(saved, server.data)

        def refused(what, *wanted):
            status, words = server.refuses()
            missing = [word for word in wanted if word not in words]
            checks.check(f"{what}: refused with words", status == 1 and not missing,
                         f"{status} without {missing}: {words}")
            again()
            server.start()
            checks.check(f"{what}: the saved copy has everything",
                         number(connect(server), "select count(*) from t") == 1002)
            server.kill()
            again()

        segments = server.segments()
        shutil.rmtree(server.path("wal"))
        refused("the log is deleted", "FATAL", "log is missing", "wal", "HINT")
        os.unlink(server.path("wal/" + segments[0]))
        refused("the log's first file is deleted", "FATAL", "log", "HINT")
        os.truncate(server.path("wal/" + segments[0]), 1 << 20)
        refused("the log's file is cut off", segments[0], "bytes long", "HINT")
        os.truncate(server.path("data.tusk"), 0)
        refused("the data file is empty", "data.tusk", "superblock", "HINT")
        os.truncate(server.path("data.tusk"), os.path.getsize(server.path("data.tusk")) // 2)
        refused("the data file is cut off", "data.tusk", "FATAL", "HINT")
        with open(server.path("data.tusk"), "r+b") as file:
            for block in (0, 4096):
                file.seek(block + 8)
                file.write(struct.pack("<I", 99))
        refused("the data file is of another version", "data.tusk", "version 99", "pg_dump")
        with open(server.path("data.tusk"), "r+b") as file:
            file.write(b"\0" * 8192)
        refused("the superblocks are overwritten", "data.tusk", "superblock", "HINT")
        with tempfile.TemporaryDirectory() as other:
            with open(f"{other}/PG_VERSION", "w", encoding="ascii") as file:
                file.write("15\n")
            run = subprocess.run([server.binary, "--data", other, "--port", "0"], capture_output=True, text=True,
                                 timeout=60, check=False)
            checks.check("PostgreSQL's directory is refused and left as it is", run.returncode == 1 and
                         "PostgreSQL" in run.stderr and os.listdir(other) == ["PG_VERSION"], run.stderr)

        # Permissions. Root may read everything, so then it is nobody who tries.
        for name in ("data.tusk", "wal", "tusk.lock"):
            os.chmod(server.path(name), 0)
            if os.getuid() == 0:
                os.chmod(server.directory, 0o755)
                os.chmod(server.data, 0o777)
                command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
                if shutil.which("setpriv") is None:
                    print("skipped: permissions (no setpriv)", flush=True)
                    again()
                    continue
                for other in ("tusk.lock", "data.tusk", "tusk.conf"):
                    if name != other and os.path.exists(server.path(other)):
                        os.chmod(server.path(other), 0o666)
            else:
                command = []
            run = subprocess.run(command + [server.binary, "--data", server.data, "--port", "0"],
                                 capture_output=True, text=True, timeout=60, check=False)
            checks.check(f"{name} may not be read: words, status 1", run.returncode == 1
                         and "Permission denied" in run.stderr and name in run.stderr, run.stderr)
            again()


def log_places(checks):
    """A damaged record before sound ones: file, offset and advice, and nothing is changed."""
    with Faulty() as server:
        connection = connect(server)
        connection.query("create table t (id int primary key, v text)")
        connection.query("checkpoint")
        for i in range(40):
            connection.query(f"insert into t values ({i}, repeat(md5('{i}'), 30))")
        server.kill()
        name = next(name for name in server.segments()
                    if b"\0" * 4096 != open(server.path("wal/" + name), "rb").read(8192)[4096:])
        path = server.path("wal/" + name)
        with open(path, "rb") as file:
            image = file.read()
        base = int(name[:-4], 16) << 26
        starts = []
        at = 4096
        while at + 32 <= len(image):
            size, _, lsn = struct.unpack_from("<IIQ", image, at)
            if lsn != base + at or size < 32:
                break
            starts.append((at, size))
            at += (size + 7) & ~7
        end = at
        checks.check("the log was found", len(starts) > 30, len(starts))
        last = starts[-1]
        tried = 0
        for at, size in starts[-30:-4:3] + [last]:
            for kind in ("bit", "sector"):
                damaged = bytearray(image)
                if kind == "bit":
                    damaged[at + size // 2] ^= 1
                else:
                    sector = (at + size // 2) // 512 * 512
                    damaged[sector:sector + 512] = bytes(512)
                with open(path, "wb") as file:
                    file.write(damaged)
                if at == last[0]:
                    continue    # nothing later speaks for the last one: it is a torn end
                status, words = server.refuses()
                tried += 1
                checks.check(f"{kind} damaged at {at}: refused with file, offset, advice",
                             status == 1 and name in words and "offset" in words and "HINT" in words
                             and "durable" in words, f"{status} {words[-600:]}")
                with open(path, "rb") as file:
                    checks.check("nothing was changed", file.read() == bytes(damaged))
        checks.check("places were tried", tried >= 10)
        # A torn end: what follows the cut never was.
        damaged = bytearray(image)
        damaged[last[0] + 40:end] = bytes(end - last[0] - 40)
        with open(path, "wb") as file:
            file.write(damaged)
        server.start()
        checks.check("a torn end ends the log",
                     number(connect(server), "select count(*) from t") == 39)
        server.kill()


def starting(checks):
    """Who comes while the server recovers is told so, and can be told to wait for it."""
    with Faulty() as server:
        connection = connect(server)
        connection.query("create table t (id int primary key); insert into t values (1)")
        server.kill()
        server.order(f"read .wal {1000 + 1500} 0 1")
        starter = threading.Thread(target=server.start)
        starter.start()
        answers = set()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                connect(server).close()
                answers.add("served")
                break
            except pgwire.Error as error:
                answers.add((error.sqlstate, error.message))
            except (ConnectionError, OSError):
                pass
            time.sleep(0.02)
        starter.join()
        checks.check("while it recovers clients get 57P03, then they are served",
                     answers == {"served", ("57P03", "the database system is starting up")}, answers)
        server.kill()
        # SIGTERM in the middle of it.
        server.order(f"read .wal {1000 + 1500} 0 1")
        process = subprocess.Popen([server.binary, "--data", server.data, "--port", "0"],
                                   stderr=subprocess.DEVNULL, env=server.environment)
        time.sleep(0.4)
        process.terminate()
        checks.check("SIGTERM ends recovery", process.wait(60) == 0)
        server.well()
        server.start()
        checks.check("nothing is lost", connect(server).rows("select id from t") == [("1",)])
        server.stop()


# ---- deaths


def death_in_initialisation(checks):
    server = Faulty()
    try:
        steps = range(0, 160, 1 if OPTIONS.long else 12)
        deaths = 0
        for skip in [*range(6), *steps, *range(66, 80 if OPTIONS.long else 78, 3)]:
            shutil.rmtree(server.data, ignore_errors=True)
            server.order(f"change {server.data} {KILL} {skip} 1")
            try:
                server.start()
                server.kill()
            except RuntimeError:
                deaths += 1
            server.well()
            server.start()
            connection = connect(server)
            connection.query("create table t (id int primary key); insert into t values (1)")
            checks.check(f"killed at change {skip} of the initialisation, it starts again",
                         connection.rows("select id from t") == [("1",)])
            server.kill()
        checks.check("it died on the way", deaths >= 10, deaths)
    finally:
        server.__exit__()


def death_in_recovery(checks):
    server = Faulty(["--cache-size", "2MB"])
    try:
        server.start()
        connection = connect(server)
        connection.query("create table t (id int primary key, v text); create index on t (v)")
        connection.query("insert into t select i, md5(i::text) from generate_series(1, 30000) i")
        connection.query("checkpoint")
        connection.query("update t set v = md5(v) where id % 3 = 0")
        connection.query("delete from t where id % 7 = 0")
        want = connection.rows("select count(*), min(v), max(v), sum(id) from t")
        server.kill()
        deaths = 0
        for skip in range(0, 60, 2 if OPTIONS.long else 8):
            server.order(f"change {server.data} {KILL} {skip} 1")
            try:
                server.start()
                server.kill()
            except RuntimeError:
                deaths += 1
            server.well()
            if skip % 4 == 0:
                server.start()
                got = connect(server).rows("select count(*), min(v), max(v), sum(id) from t")
                checks.check(f"killed at change {skip} of recovery, nothing is lost", got == want,
                             got)
                server.kill()
        checks.check("it died while it recovered", deaths >= 3, deaths)
        server.start()
        sound(checks, server, "death in recovery")
    finally:
        server.__exit__()


def death_in_checkpoint(checks):
    server = Faulty(["--cache-size", "4MB"])
    try:
        server.start()
        connection = connect(server)
        connection.query("create table t (id int primary key, v text); create index on t (v)")
        connection.query("insert into t select i, md5(i::text) from generate_series(1, 20000) i")
        deaths = 0
        for skip in range(0, 48, 1 if OPTIONS.long else 5):
            connection.query(f"update t set v = md5(v) where id % 10 = {skip % 10}")
            connection.query(f"insert into t values ({100000 + skip}, 'x')")
            want = connection.rows("select count(*), min(v), max(v), sum(id) from t")
            server.order(f"change {server.data} {KILL} {skip} 1")
            outcome = error_of(connection, "checkpoint")
            if outcome[0] == "lost":
                deaths += 1
            else:
                server.kill()
            server.ended()
            server.well()
            server.start()
            connection = connect(server)
            got = connection.rows("select count(*), min(v), max(v), sum(id) from t")
            checks.check(f"killed at change {skip} of a checkpoint, nothing is lost", got == want,
                         f"{got} {want}")
        checks.check("it died in checkpoints", deaths >= 3, deaths)
        sound(checks, server, "death in a checkpoint")
    finally:
        server.__exit__()


TESTS = [full_by_shim, full_at_start, full_spill, full_tmpfs, file_size_limit, log_errors,
         page_errors, hands, log_places, starting, death_in_initialisation, death_in_recovery,
         death_in_checkpoint]


def main():
    global OPTIONS
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", default="release")
    arguments.add_argument("--long", action="store_true")
    arguments.add_argument("--only")
    OPTIONS = arguments.parse_args()
    checks = Checks()
    for test in TESTS:
        if OPTIONS.only is None or OPTIONS.only == test.__name__:
            start = time.monotonic()
            test(checks)
            if OPTIONS.long or OPTIONS.only:
                print(f"{test.__name__}: {time.monotonic() - start:.1f} s", flush=True)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
