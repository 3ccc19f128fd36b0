"""psycopg2: DB-API, named cursors, COPY, adapters, notices, cancel, isolation levels."""
import datetime
import decimal
import io
import threading
import time
import uuid

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
import tap
from tap import attempt, equal

connection = psycopg2.connect("")
tap.afterwards = connection.rollback
cursor = connection.cursor()


@attempt("types both ways")
def _():
    cursor.execute("drop table if exists c2")
    cursor.execute("create table c2 (id int primary key, t text, n numeric(10,2), d date, "
                   "ts timestamptz, b bytea, a int[], u uuid, f float8, ok boolean, ta text[])")
    row = (1, "größe 'quoted' \\ %", decimal.Decimal("12.50"), datetime.date(2026, 11, 21),
           datetime.datetime(2026, 11, 21, 12, 0, 1, 250000, datetime.timezone.utc), b"\0\1\xff",
           [1, 2, None], uuid.UUID("00000000-0000-0000-0000-00000000002a"), 1.5, True, ["a,b", "c\"d"])
    psycopg2.extras.register_uuid()
    cursor.execute(f"insert into c2 values ({','.join(['%s'] * 11)})", row)
    cursor.execute("select * from c2")
    got = cursor.fetchone()
    equal(tuple(bytes(v) if isinstance(v, memoryview) else v for v in got), row)
    equal([d.name for d in cursor.description][:3], ["id", "t", "n"])
    connection.commit()


@attempt("executemany, execute_values, rowcount")
def _():
    cursor.executemany("insert into c2 (id, t) values (%s, %s)", [(i, str(i)) for i in range(2, 5)])
    psycopg2.extras.execute_values(cursor, "insert into c2 (id, t) values %s returning id",
                                   [(i, "x") for i in range(10, 20)])
    equal(len(cursor.fetchall()), 10)
    cursor.execute("update c2 set t = 'y' where id >= 10")
    equal(cursor.rowcount, 10)
    connection.commit()


@attempt("errors with their fields")
def _():
    try:
        cursor.execute("insert into c2 (id) values (1)")
        raise AssertionError("no error")
    except psycopg2.errors.UniqueViolation as error:
        equal(error.diag.constraint_name, "c2_pkey")
        equal(error.diag.table_name, "c2")
        equal(error.pgcode, "23505")
    connection.rollback()


@attempt("savepoints and rollback")
def _():
    cursor.execute("savepoint a")
    cursor.execute("delete from c2")
    cursor.execute("rollback to savepoint a")
    cursor.execute("select count(*) from c2")
    equal(cursor.fetchone()[0], 14)
    connection.rollback()


@attempt("named cursor")
def _():
    named = connection.cursor("big")
    named.itersize = 3
    named.execute("select id from c2 order by id")
    equal([r[0] for r in named][:5], [1, 2, 3, 4, 10])
    named.close()
    connection.rollback()


@attempt("scrollable cursor, with hold")
def _():
    held = connection.cursor("held", scrollable=True, withhold=True)
    held.execute("select generate_series(1, 5)")
    connection.commit()
    held.fetchone()
    held.scroll(2)
    equal(held.fetchone()[0], 4)
    held.scroll(0, mode="absolute")
    equal(held.fetchone()[0], 1)
    held.close()
    connection.commit()


@attempt("copy from, to and expert")
def _():
    cursor.execute("create table c2copy (a int, b text)")
    cursor.copy_from(io.StringIO("1\tone\n2\t\\N\n"), "c2copy")
    out = io.StringIO()
    cursor.copy_to(out, "c2copy", sep="|")
    equal(out.getvalue(), "1|one\n2|\\N\n")
    out = io.StringIO()
    cursor.copy_expert("copy (select * from c2copy order by a desc) to stdout csv header", out)
    equal(out.getvalue(), "a,b\n2,\n1,one\n")
    cursor.execute("drop table c2copy")
    connection.commit()


@attempt("isolation levels, read only, autocommit")
def _():
    connection.set_session(isolation_level="SERIALIZABLE", readonly=True)
    cursor.execute("show transaction_isolation")
    equal(cursor.fetchone()[0], "serializable")
    try:
        cursor.execute("delete from c2")
        raise AssertionError("no error")
    except psycopg2.errors.ReadOnlySqlTransaction:
        connection.rollback()
    connection.set_session(isolation_level="READ COMMITTED", readonly=False, autocommit=True)
    cursor.execute("select 1")
    equal(connection.get_transaction_status(), psycopg2.extensions.TRANSACTION_STATUS_IDLE)
    connection.autocommit = False


@attempt("notices")
def _():
    del connection.notices[:]
    cursor.execute("drop table if exists not_there")
    equal("does not exist" in connection.notices[-1], True)
    connection.rollback()


@attempt("cancel")
def _():
    threading.Timer(0.3, connection.cancel).start()
    start = time.monotonic()
    try:
        cursor.execute("select pg_sleep(20)")
        raise AssertionError("no error")
    except psycopg2.errors.QueryCanceled:
        equal(time.monotonic() - start < 10, True)
    connection.rollback()


@attempt("json and jsonb")
def _():
    cursor.execute("select %s::jsonb, '[1, 2]'::json", [psycopg2.extras.Json({"a": [1, None]})])
    equal(cursor.fetchone(), ({"a": [1, None]}, [1, 2]))
    connection.rollback()


@attempt("dict and named tuple rows")
def _():
    rows = connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
    rows.execute("select 1 as a, 'x' as b")
    equal(dict(rows.fetchone()), {"a": 1, "b": "x"})
    rows = connection.cursor(cursor_factory=psycopg2.extras.NamedTupleCursor)
    rows.execute("select 1 as a")
    equal(rows.fetchone().a, 1)
    connection.rollback()


@attempt("notifications")
def _():
    listener = psycopg2.connect("")
    listener.autocommit = True
    listener.cursor().execute("listen c2")
    cursor.execute("notify c2, 'hello'")
    connection.commit()
    for _ in range(100):
        listener.poll()
        if listener.notifies:
            break
        time.sleep(0.05)
    equal((listener.notifies[0].channel, listener.notifies[0].payload), ("c2", "hello"))
    listener.close()


@attempt("composite and range adapters ask the catalog")
def _():
    cursor.execute("create type c2mood as enum ('sad', 'ok')")
    cursor.execute("select 'ok'::c2mood, array['sad']::c2mood[]")
    equal(cursor.fetchone()[0], "ok")
    connection.rollback()


@attempt("two-phase commit is refused")
def _():
    try:
        connection.tpc_begin(connection.xid(1, "a", "b"))
        cursor.execute("select 1")
        connection.tpc_prepare()
        raise AssertionError("no error")
    except psycopg2.Error as error:
        equal(error.pgcode in ("0A000", "55000"), True) # PostgreSQL: not with its default settings
    connection.close()
