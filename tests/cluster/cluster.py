"""Three shards and a router for tests."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import ROOT, Server


class Router(Server):
    def __init__(self, build, nodes, arguments=()):
        super().__init__(build, ["--nodes", nodes] + list(arguments))
        self.binary = os.path.join(ROOT, "build", build, "tusk-router")
        self.sound = False   # its files are a schema's: tuskd --check is not for them


class Cluster:
    def __init__(self, build="release", count=3, arguments=(), shard_arguments=()):
        self.build = build
        self.shard_arguments = list(shard_arguments)
        self.shards = [self.new_shard(f"n{i + 1}") for i in range(count)]
        self.arguments = list(arguments)
        self.router = None

    def new_shard(self, name):
        return Server(self.build, ["--workers", "1", "--cache-size", "64MB", "-c",
                                   f"cluster_node={name}"] + self.shard_arguments)

    def nodes(self):
        return ",".join(f"n{i + 1}=127.0.0.1:{s.port}" for i, s in enumerate(self.shards))

    def new_router(self, arguments=()):
        return Router(self.build, self.nodes(), self.arguments + list(arguments))

    def __enter__(self):
        for shard in self.shards:
            shard.start()
        self.router = self.new_router().start()
        return self

    def __exit__(self, *why):
        self.router.__exit__(*why)
        for shard in self.shards:
            shard.__exit__(*why)


class Etcd:
    """One member, on loopback, its data in a directory that goes with it."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="tusk_etcd_")
        self.ports = []
        for _ in range(2):
            with socket.socket() as one:
                one.bind(("127.0.0.1", 0))
                self.ports.append(one.getsockname()[1])
        self.process = None

    def url(self):
        return f"etcd://127.0.0.1:{self.ports[0]}/tusk/"

    def start(self):
        client, peer = (f"http://127.0.0.1:{port}" for port in self.ports)
        self.process = subprocess.Popen(
            ["etcd", "--data-dir", self.directory, "--listen-client-urls", client,
             "--advertise-client-urls", client, "--listen-peer-urls", peer, "--log-level", "error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *why):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def connect(server, **more):
    return pgwire.connect(port=server.port, user="postgres", database="postgres", **more)


def rows(server, sql):
    with connect(server) as connection:
        return connection.query(sql)[-1].rows


def wait_for(condition, seconds=30):
    """Until it holds; who cannot be asked now may be later."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return True
        except (pgwire.Error, pgwire.ConnectionLost, OSError):
            pass
        time.sleep(0.05)
    return False


def sqlstate(action):
    """Of what it fails with; "lost": the connection; None: nothing."""
    try:
        action()
    except pgwire.Error as error:
        return error.sqlstate
    except pgwire.ConnectionLost:
        return "lost"
    return None
