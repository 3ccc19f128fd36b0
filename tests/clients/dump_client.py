"""pg_dump: what it writes makes the same database again, in Tusk and in PostgreSQL."""
import os
import subprocess
import sys
import tempfile

from tap import attempt, equal

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import postgres
from server import Server


def run(*command, port=None, database="postgres"):
    environment = {**os.environ, "PGDATABASE": database}
    if port is not None:
        environment["PGPORT"] = str(port)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0 or "ERROR" in done.stderr:
        raise RuntimeError(f"{command[0]}: {done.stderr[-800:]}")
    return done.stdout


def psql(*words, **where):
    return run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *words, **where)


def dump(*words, **where):
    """Without what differs from run to run and from server to server."""
    return [line for line in run("pg_dump", *words, **where).split("\n")
            if not line.startswith(("--", "\\restrict", "\\unrestrict"))]


psql("-f", os.path.join(HERE, "schema.sql"))
folder = tempfile.mkdtemp(prefix="tusk_dump_")
file = os.path.join(folder, "dump.sql")


def data(**where):
    return psql("-A", "-t", "-c", "select * from app.customer order by id",
                "-c", "select * from app.orders order by id", "-c", "select * from app.a_rich",
                "-c", "select * from app.plain order by a nulls last",
                "-c", "insert into app.customer (name, balance) values ('new', 1) returning id",
                "-c", "insert into app.orders (customer_id, total) values (1, 1) returning id",
                "-c", "select nextval('app.seq')", **where)


@attempt("pg_dump")
def _():
    run("pg_dump", "-f", file)


@attempt("restored into Tusk: dumps are equal")
def _():
    with Server(os.environ.get("TUSK_BUILD", "release")) as server:
        psql("-c", "create role dump_reader", port=server.port)
        psql("-f", file, port=server.port)
        equal(dump(port=server.port), dump())


@attempt("restored into PostgreSQL: data, sequences, view and privileges are the same")
def _():
    if not postgres.INSTALLED:
        return
    with postgres.Postgres() as server:
        psql("-c", "create role dump_reader", port=server.port)
        psql("-f", file, port=server.port)
        equal(dump("-t", "app.customer", "-t", "app.orders", "-a", port=server.port),
              dump("-t", "app.customer", "-t", "app.orders", "-a"))
        privileges = "select has_table_privilege('dump_reader', 'app.customer', 'select'), " \
                     "has_table_privilege('dump_reader', 'app.orders', 'select')"
        equal(psql("-A", "-t", "-c", privileges, port=server.port), "t|f\n")
        equal(data(port=server.port), data())


@attempt("as archive, by pg_restore, data only, clean")
def _():
    archive = os.path.join(folder, "dump.custom")
    run("pg_dump", "-Fc", "-f", archive)
    run("pg_restore", "--clean", "--if-exists", "-d", "postgres", archive)
    equal(psql("-A", "-t", "-c", "select count(*) from app.orders"), "3\n")
    psql("-c", "truncate app.orders, app.customer")
    run("pg_restore", "--data-only", "-t", "customer", "-d", "postgres", archive)
    equal(psql("-A", "-t", "-c", "select count(*) from app.customer"), "3\n")
