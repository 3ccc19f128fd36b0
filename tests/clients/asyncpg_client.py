"""asyncpg: everything is a named prepared statement, in binary; it loads types from pg_type."""
import asyncio
import datetime
import decimal
import json

import asyncpg
from tap import DATABASE, HOST, PORT, USER, attempt, equal

loop = asyncio.new_event_loop()
connection = loop.run_until_complete(
    asyncpg.connect(host=HOST, port=PORT, user=USER, database=DATABASE))


def asynchronous(what):
    def run(function):
        attempt(what)(lambda: loop.run_until_complete(asyncio.wait_for(function(), 60)))
    return run


@asynchronous("types")
async def _():
    row = (7, 2**40, "text", decimal.Decimal("3.140"), True, 2.5, b"\0\1", datetime.date(2026, 2, 3),
           datetime.datetime(2026, 2, 3, 4, 5, 6, 7), datetime.timedelta(days=3, seconds=4),
           [1, 2, 3], ["a", None], None)
    got = await connection.fetchrow(
        "select $1::int4, $2::int8, $3::text, $4::numeric, $5::bool, $6::float8, $7::bytea, $8::date, "
        "$9::timestamp, $10::interval, $11::int4[], $12::text[], $13::text", *row)
    equal(tuple(got), row)


@asynchronous("executemany and fetch")
async def _():
    await connection.execute("create table ca (id int primary key, v text)")
    await connection.executemany("insert into ca values ($1, $2)", [(i, f"v{i}") for i in range(50)])
    equal(len(await connection.fetch("select * from ca where id < $1", 10)), 10)
    equal(await connection.fetchval("select v from ca where id = any($1::int[]) order by id desc",
                                    [3, 4]), "v4")


@asynchronous("transactions and savepoints")
async def _():
    async with connection.transaction(isolation="repeatable_read"):
        try:
            async with connection.transaction():
                await connection.execute("delete from ca")
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    equal(await connection.fetchval("select count(*) from ca"), 50)


@asynchronous("cursors")
async def _():
    async with connection.transaction():
        seen = [row["id"] async for row in connection.cursor("select id from ca order by id",
                                                             prefetch=7)]
    equal(seen, list(range(50)))


@asynchronous("copy records and tables")
async def _():
    await connection.copy_records_to_table("ca", records=[(100, "a"), (101, None)])
    import io
    out = io.BytesIO()
    await connection.copy_from_query("select * from ca where id >= $1", 100, output=out, format="csv")
    equal(out.getvalue(), b"100,a\n101,\n")


@asynchronous("errors")
async def _():
    try:
        await connection.execute("insert into ca values (1, 'again')")
        raise AssertionError("no error")
    except asyncpg.UniqueViolationError as error:
        equal((error.constraint_name, error.table_name), ("ca_pkey", "ca"))


@asynchronous("a statement survives DDL")
async def _():
    equal(len((await connection.fetch("select * from ca limit 1"))[0]), 2)
    await connection.execute("alter table ca add column w int")
    equal(len((await connection.fetch("select * from ca limit 1"))[0]), 3)


@asynchronous("jsonb codec")
async def _():
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps,
                                    decoder=json.loads)
    equal(await connection.fetchval("select $1::jsonb", {"a": 1}), {"a": 1})


@asynchronous("enum and its array by introspection")
async def _():
    await connection.execute("create type camood as enum ('sad', 'ok')")
    equal(await connection.fetchval("select $1::camood", "ok"), "ok")
    equal(await connection.fetchval("select array['sad', 'ok']::camood[]"), ["sad", "ok"])


@asynchronous("composite by introspection")
async def _():
    equal(tuple((await connection.fetchval("select ca from ca where id = 1"))), (1, "v1", None))


@asynchronous("notifications")
async def _():
    seen = loop.create_future()
    other = await asyncpg.connect(host=HOST, port=PORT, user=USER, database=DATABASE)
    await other.add_listener("ca", lambda *args: seen.done() or seen.set_result(args[3]))
    await connection.execute("notify ca, 'hi'")
    equal(await asyncio.wait_for(seen, 10), "hi")
    await other.close()


@asynchronous("timeout cancels")
async def _():
    try:
        await connection.execute("select pg_sleep(20)", timeout=0.3)
        raise AssertionError("no error")
    except asyncio.TimeoutError:
        pass
    equal(await connection.fetchval("select 1"), 1)


@asynchronous("pool, reset by its queries")
async def _():
    async with asyncpg.create_pool(host=HOST, port=PORT, user=USER, database=DATABASE, min_size=2,
                                   max_size=4) as pool:
        async def one(i):
            async with pool.acquire() as pooled:
                return await pooled.fetchval("select $1::int * 2", i)
        equal(await asyncio.gather(*(one(i) for i in range(40))), [2 * i for i in range(40)])


loop.run_until_complete(connection.close())
