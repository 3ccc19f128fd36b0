"""Three shards and a router for tests."""
import os
import sys

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


def connect(server, **more):
    return pgwire.connect(port=server.port, user="postgres", database="postgres", **more)


def sqlstate(action):
    """Of what it fails with; "lost": the connection; None: nothing."""
    try:
        action()
    except pgwire.Error as error:
        return error.sqlstate
    except pgwire.ConnectionLost:
        return "lost"
    return None
