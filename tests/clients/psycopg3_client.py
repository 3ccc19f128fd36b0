"""psycopg 3: binary parameters and results, pipeline, COPY in both formats, prepared statements."""
import asyncio
import datetime
import decimal

import psycopg
from psycopg.types.json import Jsonb
import tap
from tap import attempt, equal

connection = psycopg.connect("")
tap.afterwards = connection.rollback


@attempt("types, text and binary")
def _():
    row = (1, "x", decimal.Decimal("1.50"), datetime.date(2026, 1, 2), b"\0\xff", [1, 2, 3], 2.5,
           True, datetime.timedelta(days=1, seconds=5),
           datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc))
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        cursor.execute("select %s::int8, %s::text, %s::numeric, %s::date, %s::bytea, %s::int4[], "
                       "%s::float8, %s::bool, %s::interval, %s::timestamptz", row)
        equal(cursor.fetchone(), row)


@attempt("prepared statements")
def _():
    for i in range(8):
        equal(connection.execute("select %s::int + 1", [i], prepare=True).fetchone(), (i + 1,))


@attempt("pipeline")
def _():
    with connection.pipeline():
        cursors = [connection.execute("select %s::int", [i]) for i in range(20)]
    equal([c.fetchone()[0] for c in cursors], list(range(20)))
    connection.commit()


@attempt("an error in a pipeline")
def _():
    try:
        with connection.pipeline():
            connection.execute("select 1")
            connection.execute("select nothing")
            connection.execute("select 2")
        raise AssertionError("no error")
    except psycopg.errors.UndefinedColumn:
        connection.rollback()


@attempt("copy, text")
def _():
    connection.execute("create table c3 (a int, b text, n numeric)")
    with connection.cursor().copy("copy c3 from stdin") as copy:
        for i in range(100):
            copy.write_row((i, f"row\t{i}", decimal.Decimal(i) / 4))
    with connection.cursor().copy("copy c3 to stdout") as copy:
        equal(len(list(copy.rows())), 100)
    connection.commit()


@attempt("copy, binary")
def _():
    with connection.cursor().copy("copy c3 from stdin (format binary)") as copy:
        copy.set_types(["int4", "text", "numeric"])
        for i in range(100, 110):
            copy.write_row((i, f"row {i}", decimal.Decimal(i)))
    with connection.cursor().copy("copy c3 to stdout (format binary)") as copy:
        copy.set_types(["int4", "text", "numeric"])
        equal(sum(row[0] for row in copy.rows()), sum(range(110)))
    connection.commit()


@attempt("transaction blocks nest")
def _():
    with connection.transaction():
        try:
            with connection.transaction():
                connection.execute("delete from c3")
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        equal(connection.execute("select count(*) from c3").fetchone()[0], 110)


@attempt("server-side cursor")
def _():
    with connection.cursor("srv") as cursor:
        cursor.execute("select a from c3 order by a")
        equal(cursor.fetchmany(3), [(0,), (1,), (2,)])
    connection.commit()


@attempt("jsonb")
def _():
    equal(connection.execute("select %s::jsonb", [Jsonb({"k": [1, "x"]})]).fetchone(),
          ({"k": [1, "x"]},))


@attempt("type information from the catalog")
def _():
    from psycopg.types import TypeInfo
    info = TypeInfo.fetch(connection, "numeric")
    equal((info.oid, info.array_oid), (1700, 1231))


@attempt("enum from the catalog")
def _():
    from psycopg.types.enum import EnumInfo
    connection.execute("create type c3mood as enum ('sad', 'ok')")
    info = EnumInfo.fetch(connection, "c3mood")
    equal(list(info.labels), ["sad", "ok"])
    connection.rollback()


@attempt("notifications")
def _():
    other = psycopg.connect("", autocommit=True)
    other.execute("listen c3")
    connection.execute("select pg_notify('c3', 'payload')")
    connection.commit()
    seen = next(other.notifies())
    equal((seen.channel, seen.payload), ("c3", "payload"))
    other.close()


@attempt("async")
def _():
    async def go():
        async with await psycopg.AsyncConnection.connect("") as other:
            cursor = await other.execute("select generate_series(1, 3)")
            return await cursor.fetchall()
    equal(asyncio.run(go()), [(1,), (2,), (3,)])


connection.close()
