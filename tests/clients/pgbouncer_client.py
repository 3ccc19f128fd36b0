"""PgBouncer between clients and the server: session and transaction pooling."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import psycopg2

from tap import attempt, equal, HOST, PORT, USER

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from postgres import BIN, free_port


class Bouncer:
    def __init__(self, mode):
        self.folder = tempfile.mkdtemp(prefix="tusk_bouncer_", dir="/tmp")
        self.port = free_port()
        with open(os.path.join(self.folder, "users"), "w", encoding="utf-8") as file:
            file.write(f'"{USER}" ""\n')
        self.log = os.path.join(self.folder, "log")
        with open(os.path.join(self.folder, "ini"), "w", encoding="utf-8") as file:
            file.write(f"""[databases]
postgres = host={HOST} port={PORT} dbname=postgres user={USER}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {self.folder}/users
admin_users = {USER}
pool_mode = {mode}
default_pool_size = 3
logfile = {self.log}
ignore_startup_parameters = extra_float_digits
""")
        user = "postgres" if os.geteuid() == 0 else None
        prefix = []
        if user: # it refuses to run as root
            account = pwd.getpwnam(user)
            os.chmod(self.folder, 0o755)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        self.process = subprocess.Popen([*prefix, "pgbouncer", os.path.join(self.folder, "ini")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.05)

    def connect(self, database="postgres"):
        return psycopg2.connect(host="127.0.0.1", port=self.port, user=USER, dbname=database)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def rows(db, sql, *values):
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else None


for mode in ("session", "transaction"):
    with Bouncer(mode) as bouncer:
        @attempt(f"{mode}: queries and transactions")
        def _():
            db = bouncer.connect()
            rows(db, "drop table if exists bouncer")
            rows(db, "create table bouncer (id int primary key, v int)")
            rows(db, "insert into bouncer select g, 0 from generate_series(1, 100) g")
            db.commit()
            rows(db, "update bouncer set v = v + 1 where id = %s", 1)
            db.rollback()
            equal(rows(db, "select sum(v) from bouncer"), [(0,)])
            db.close()

        @attempt(f"{mode}: more clients than connections to the server")
        def _():
            clients = [bouncer.connect() for _ in range(3 if mode == "session" else 12)]
            pids = set()
            for _ in range(3):
                for client in clients:
                    pids.add(rows(client, "select pg_backend_pid()")[0][0])
                    client.commit()
            equal(len(pids) <= 3, True)
            for client in clients:
                client.close()

        @attempt(f"{mode}: the next client finds nothing of the last one's")
        def _():
            for _ in range(4):
                db = bouncer.connect()
                db.autocommit = True
                if mode == "session": # server_reset_query = DISCARD ALL
                    equal(rows(db, "show work_mem"), [("4MB",)])
                    rows(db, "set work_mem = '9MB'")
                    rows(db, "prepare p as select 1")
                equal(rows(db, "select 1"), [(1,)])
                db.close()

        @attempt(f"{mode}: pgbench through it")
        def _():
            words = [os.path.join(BIN, "pgbench"), "-h", "127.0.0.1", "-p", str(bouncer.port), "-U", USER, "-n"]
            for command in ([*words, "-i", "-q", "postgres"],
                            [*words, "-c", "3" if mode == "session" else "8", "-t", "20", "-M",
                             "prepared" if mode == "session" else "extended", "postgres"]):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    raise RuntimeError(done.stderr[-500:])

        @attempt(f"{mode}: a cancel, and the console")
        def _():
            db = bouncer.connect()
            pid = os.fork()
            if pid == 0:
                time.sleep(0.3)
                db.cancel()
                os._exit(0)
            try:
                rows(db, "select pg_sleep(30)")
                raise AssertionError("not cancelled")
            except psycopg2.errors.QueryCanceled:
                pass
            os.waitpid(pid, 0)
            db.close()
            console = bouncer.connect("pgbouncer")
            console.autocommit = True
            with console.cursor() as cursor:
                cursor.execute("show pools")
                equal(any(row[0] == "postgres" for row in cursor.fetchall()), True)
            console.close()
