#!/usr/bin/env python3
"""Real clients against Tusk: each a script of its own, which says what worked.

    tests/clients/run.py [--build release] [--postgres | --router | --cluster] [--trace] [NAME ...]

--postgres runs them on PostgreSQL 15 instead: what fails there says nothing about Tusk. What is
known not to work, and why, stands in KNOWN: it may fail, and is told of when it does not.
--router has them come through tusk-router to one node; --cluster to three, with definitions in blocks allowed
(tusk.definitions_commit).
"""
import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "cluster")]
import postgres
from cluster import Cluster, Router, connect
from server import Checks, Server

PYTHON = "/usr/bin/python3" # Debian's, which has Debian's packages
# client -> {what: which request fails and why}
KNOWN = {
    "orm": {"sequelize enum": "sync() makes the type in a DO block of PL/pgSQL, which there is not: 0A000"},
}


SESSION = "lives as long as a session: reason 1"
DATABASES = "a cluster has one database: reason 17; a pooler knows those of its own engine"
# What else fails at tusk-router, with one node behind it and with three (docs/sharding.md).
KNOWN_ROUTED = {
    "libpq": {"notifications": SESSION},
    "psycopg2": {"notifications": SESSION, "scrollable cursor, with hold": SESSION},
    "psycopg3": {"notifications": SESSION},
    "asyncpg": {"notifications": SESSION},
    "sqlalchemy": {"a second database": DATABASES},
    "django": {"iterator by a server-side cursor": SESSION + " (DISABLE_SERVER_SIDE_CURSORS)",
               "a test database": DATABASES},
    "dbd": {"notifications": SESSION},
    "jdbc": {"notifications": SESSION},
    "node": {"pg notifications": SESSION, "postgres.js listen": SESSION, "node ran to its end": SESSION},
}
PG_DUMP = "LOCK TABLE and a snapshot of all nodes: reasons 7 and 12; dump each node"
KNOWN_CLUSTER = {
    "pg_dump": {"pg_dump": PG_DUMP, "restored into Tusk": PG_DUMP,
                "restored into PostgreSQL": PG_DUMP,
                "as archive, by pg_restore, data only, clean": PG_DUMP},
    "psql": {"\\drds": "the suite itself sets tusk.definitions_commit"},
    "dbd": {"last_insert_id": "currval: reason 14"},
}


class Client:
    def __init__(self, name, command, needs=None, prepare=None):
        self.name, self.command, self.needs, self.prepare = name, command, needs, prepare

    def missing(self):
        """What is not installed, or None."""
        if self.needs is None:
            return None
        run = subprocess.run(self.needs, capture_output=True, text=True, check=False)
        return None if run.returncode == 0 else (run.stderr.strip().split("\n") or [""])[-1]


def python(name, module):
    return Client(name, [PYTHON, os.path.join(HERE, f"{name}_client.py")],
                  [PYTHON, "-c", f"import {module}"])


JDBC = "/usr/share/java/postgresql.jar"


def java(folder):
    subprocess.run(["javac", "-cp", JDBC, "-d", folder, os.path.join(HERE, "JdbcClient.java")],
                   check=True)
    return ["java", "-cp", f"{JDBC}:{folder}", "JdbcClient"]


def npm(folder, script, *packages):
    """Packages of npm's, into a folder of the run; None without the registry."""
    run = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefer-offline", *packages],
                         cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return ["node", os.path.join(folder, script)] if run.returncode == 0 else None


def node(folder):
    shutil.copy(os.path.join(HERE, "node_client.js"), folder)
    return npm(folder, "node_client.js", "pg@8", "postgres@3")


def libpq(folder):
    program = os.path.join(folder, "libpq_client")
    subprocess.run(["gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-I/usr/include/postgresql", "-o",
                    program, os.path.join(HERE, "libpq_client.c"), "-lpq"], check=True)
    return [program]


def orm(folder):
    shutil.copy(os.path.join(HERE, "orm_client.js"), folder)
    return npm(folder, "orm_client.js", "pg@8", "sequelize@6", "drizzle-orm@0")


CLIENTS = [
    Client("libpq", None, ["sh", "-c", "test -e /usr/include/postgresql/libpq-fe.h"], libpq),
    Client("psql", [PYTHON, os.path.join(HERE, "psql_client.py")], ["sh", "-c", "command -v psql"]),
    Client("pg_dump", [PYTHON, os.path.join(HERE, "dump_client.py")], ["sh", "-c", "command -v pg_dump"]),
    Client("pgbouncer", [PYTHON, os.path.join(HERE, "pgbouncer_client.py")],
           ["sh", "-c", "command -v pgbouncer"]),
    python("psycopg2", "psycopg2"),
    python("psycopg3", "psycopg"),
    python("asyncpg", "asyncpg"),
    python("sqlalchemy", "sqlalchemy"),
    python("django", "django"),
    Client("dbd", ["perl", os.path.join(HERE, "dbd_client.pl")], ["perl", "-MDBD::Pg", "-e", "1"]),
    Client("jdbc", None, ["sh", "-c", f"command -v javac && test -e {JDBC}"], java),
    Client("node", None, ["sh", "-c", "command -v npm"], node),
    Client("orm", None, ["sh", "-c", "command -v npm"], orm),
]


def run_client(checks, client, environment, all_known):
    missing = client.missing()
    if missing is not None:
        print(f"{client.name}: not installed here ({missing}): not run")
        return
    folder = tempfile.mkdtemp(prefix="tusk_client_")
    os.chmod(folder, 0o755) # PostgreSQL and PgBouncer run as another user
    try:
        command = client.prepare(folder) if client.prepare else client.command
        if command is None:
            print(f"{client.name}: could not be installed: not run")
            return
        run = subprocess.run(command, env={**environment, "TMPDIR": folder}, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=300, check=False)
        output, code = run.stdout, run.returncode
    except subprocess.TimeoutExpired as error:
        output, code = (error.stdout or b"").decode("utf-8", "replace"), "no end after 300 s"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    known = dict(item for known in all_known for item in known.get(client.name, {}).items())
    found = re.findall(r"^(ok|not ok) ([^:\n]*)(?:: (.*))?$", output, re.M)
    for result, what, why in found:
        if what in known:
            print(f"{client.name}: {what}: {'known not to work' if result != 'ok' else 'works now'}"
                  f" ({known[what]})")
            continue
        checks.check(f"{client.name}: {what}", result == "ok", why)
    if f"{client.name} ran to its end" not in known:
        checks.check(f"{client.name} ran to its end", code == 0 and len(found) > 0,
                     f"{code}: {output[-1500:]}")
    print(f"{client.name}: {sum(f[0] == 'ok' for f in found)} of {len(found)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--build", default="release")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--router", action="store_true")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--trace", action="store_true")
    options = parser.parse_args()
    checks = Checks()
    known = [KNOWN] + [KNOWN_ROUTED] * (options.router or options.cluster) + [KNOWN_CLUSTER] * options.cluster
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(postgres.Postgres() if options.postgres else
                                     Cluster(options.build) if options.cluster else Server(options.build))
        if options.cluster:
            server = server.router
            with connect(server) as connection: # drivers and ORMs define things in blocks
                connection.query("alter role postgres set tusk.definitions_commit = on")
        if options.router:
            server = stack.enter_context(Router(options.build, f"n1=127.0.0.1:{server.port}"))
        environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(server.port),
                       "PGUSER": "postgres", "PGDATABASE": "postgres",
                       "TUSK_BUILD": options.build, "PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1", "PGCONNECT_TIMEOUT": "20"}
        if options.trace:
            environment["TRACE"] = "1"
        for client in CLIENTS:
            if not options.names or client.name in options.names:
                run_client(checks, client, environment, known)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
