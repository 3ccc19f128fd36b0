"""Starting and stopping a PostgreSQL 15 of our own, to compare with."""
import os
import pwd
import shutil
import socket
import subprocess
import tempfile

BIN = "/usr/lib/postgresql/15/bin"
INSTALLED = os.path.exists(f"{BIN}/postgres")

# What would make answers depend on the machine is fixed.
SETTINGS = """listen_addresses = '127.0.0.1'
timezone = 'UTC'
datestyle = 'ISO, MDY'
max_connections = 200
fsync = on
synchronous_commit = on
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Postgres:
    """PostgreSQL refuses to run as root: then it runs as the user postgres."""

    def __init__(self, settings=None, directory=None):
        self.own = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="tusk_pg_")
        self.data = os.path.join(self.directory, "data")
        self.settings = settings or {}
        self.port = free_port()
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            os.chown(self.directory, pwd.getpwnam(self.user).pw_uid, -1)

    def command(self, *words):
        prefix = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] \
            if self.user else []
        done = subprocess.run([*prefix, *words], capture_output=True, text=True, check=False,
                              cwd=self.directory)
        if done.returncode != 0:
            raise RuntimeError(f"{words[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")

    def start(self):
        if not os.path.exists(self.data):
            self.command(f"{BIN}/initdb", "-D", self.data, "-U", "postgres", "--auth=trust",
                         "-E", "UTF8", "--locale=C", "--no-sync")
            with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
                file.write(SETTINGS + f"port = {self.port}\n"
                           f"unix_socket_directories = '{self.directory}'\n")
                file.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())
        # Its output goes to a file: a pipe would be held open by the server.
        self.command(f"{BIN}/pg_ctl", "-w", "-D", self.data, "-l",
                     os.path.join(self.directory, "log"), "start")
        return self

    def stop(self, mode="fast"):
        self.command(f"{BIN}/pg_ctl", "-w", "-D", self.data, "-m", mode, "stop")

    def pid(self):
        """Of the postmaster."""
        with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
            return int(file.readline())

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        try:
            self.stop("immediate")
        finally:
            if self.own:
                shutil.rmtree(self.directory, ignore_errors=True)
