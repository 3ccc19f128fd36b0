#!/usr/bin/env python3
"""Statements larger than work_mem: the same answers as in memory and as PostgreSQL's, and no traces.

    tests/system/spill.py [--build release] [--rows 30000]

Every query runs on Tusk with work_mem of 64 kB, of 0 bytes (all goes to files; over fewer rows), and
with plenty, and on PostgreSQL 15 if it is installed. Then: temp_file_limit, a full disk (as root), a
cancelled sort, a connection that goes away in the middle, kill -9.
"""
import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
import postgres
from server import Checks, Server

TABLES = """
create table a (id int primary key, k int, g int, t text, n numeric);
create table b (id int primary key, k int, t text, f float8);
insert into a select i, case when i % 50 = 0 then null else (i::bigint * 7919 % {rows})::int end,
       i % 700, case when i % 31 = 0 then null else md5((i % 5000)::text) || repeat('x', i % 40) end,
       (i % 1000) / 10.0 from generate_series(1, {rows}) i;
insert into b select i, case when i % 40 = 0 then null else (i::bigint * 104729 % {rows})::int end,
       md5((i % 8000)::text), (i % 97) / 4.0 from generate_series(1, {half}) i;
insert into b select i + {half}, 7, 'skewed', 1 from generate_series(1, {part}) i;
"""

# Each ordered wholly, or compared as a set (first character -).
QUERIES = (
    "select * from a order by k desc nulls last, id",
    "select * from a order by t, n desc, id",
    "select id, t from a order by n, t desc nulls first, id limit 5000",
    "select id from a order by md5(id::text) limit 10",
    "select t, k, id from a order by t, id limit 9000 offset 2000",
    "-select a.id, b.id, a.t, b.t from a join b on a.k = b.k",
    "-select a.id, b.id, b.t from a left join b on a.k = b.k and b.id % 3 <> a.id % 3",
    "-select a.id, a.n, b.id, b.t from a full join b on a.k = b.k",
    "-select a.id, b.f from b right join a on a.k = b.k and a.t < b.t",
    "-select id, t from a where exists (select 1 from b where b.k = a.k and b.f > 3)",
    "-select id, t from a where not exists (select 1 from b where b.k = a.k)",
    "-select a.id, x.id from a join a x on a.t = x.t and a.id < x.id where a.g < 90",
    "-select count(*), sum(a.n), min(b.t) from a join b using (k) join b c on c.id = a.id",
    "-select k, count(*), sum(n), max(t), min(id), avg(n) from a group by k",
    "-select t, count(distinct g), sum(distinct n), string_agg(g::text, ',' order by id) "
    "from a group by t",
    "-select count(distinct t), count(distinct k), sum(distinct n), count(*) from a",
    "-select md5(string_agg(t, ',' order by t, id)), array_length(array_agg(k order by id), 1) from a",
    "-select g, count(distinct t) filter (where n > 20), max(k) from a group by g",
    "-select distinct t, k from a",
    "-select distinct on (g) g, id, t from a order by g, k desc nulls last, id",
    "-select id, sum(n) over (order by t, id), lag(t, 100) over (order by k nulls first, id), "
    "row_number() over (partition by g order by t desc, id), count(*) over () from a",
    "-select id, min(t) over (order by id rows between 20 preceding and 10 following exclude ties), "
    "count(*) over (order by k range between 10 preceding and 10 following) from a",
    "-select t from a union select t from b",
    "-select t from a intersect select t from b",
    "-select t from a intersect all select t from b",
    "-select t from a except select t from b",
    "-select t, k from a except all select t, k from b",
    "-select k from b union all select k from a",
    "-select a.id, x.c from a, lateral (select count(*) c from b where b.k < a.g / 300) x where a.id < 20",
    "-select i, s from generate_series(1, {rows}) i join (select id % 3000 as id, t as s from b) x "
    "on x.id = i",
    "-select id, (select max(b.t) from b where b.k = a.k) from a where a.id % 400 = 1",
    "-select * from (values (1), (2), (3)) v (x), (select id, t from a where id % 3 = 0) s",
    "-with w as (select id, k, t from a order by t, id limit 6000) "
    "select w.id, b.id from w join b on b.k = w.k",
    "-update a set n = n + 1 where id % 2 = 0 returning id, n, t",
    "-update a set t = b.t from b where b.k = a.k and b.t <> 'skewed' and b.id % 5 = 0 "
    "and b.k % 7 = 1 returning a.id",
    "-delete from a where g % 5 = 2 returning *",
    "-insert into a select id + 1000000, k, g, t, n from a where g % 3 = 0 returning *",
)


def answer(connection, sql, ordered):
    result = connection.query(sql)[-1]
    rows = [tuple(row) for row in result.rows]
    return result.tag, rows if ordered else sorted(rows, key=str)


def load(port, rows):
    with pgwire.connect(port=port, timeout=120) as connection:
        connection.query("drop table if exists a; drop table if exists b")
        connection.query(TABLES.format(rows=rows, half=rows // 2, part=rows // 100))


def all_answers(port, rows, settings=()):
    load(port, rows)
    with pgwire.connect(port=port, timeout=300) as connection:
        for setting in settings:
            connection.query(setting)
        return [answer(connection, sql.lstrip("-").replace("{rows}", str(rows)), sql[0] != "-")
                for sql in QUERIES]


def compare(checks, ours, plenty, theirs, rows):
    expected = all_answers(ours.port, rows, ["set work_mem = '1GB'"])
    others = [("64 kB" if plenty else "0 bytes", all_answers(ours.port, rows, [
        "set work_mem = '64kB'; set hash_mem_multiplier = 1" if plenty
        else "set debug_work_mem_bytes = 0"]))]
    if theirs and plenty:
        others.append(("PostgreSQL", all_answers(theirs.port, rows)))
    for name, answers in others:
        for sql, one, other in zip(QUERIES, expected, answers):
            checks.check(f"{rows} rows, {name}: {sql}", one == other,
                         f"\n  {one[0]}, {len(one[1])} rows: {one[1][:3]}"
                         f"\n  {other[0]}, {len(other[1])} rows: {other[1][:3]}" if one != other else "")


def temporary_files(server):
    """Of the server, open or with a name."""
    folder = os.path.join(server.directory, "data", "tmp")
    found = os.listdir(folder)
    for fd in os.listdir(f"/proc/{server.process.pid}/fd"):
        try:
            target = os.readlink(f"/proc/{server.process.pid}/fd/{fd}")
        except OSError:
            continue
        if target.startswith(folder):
            found.append(target)
    return found


def no_traces(checks, server, when):
    end = time.monotonic() + 10
    while temporary_files(server) and time.monotonic() < end:
        time.sleep(0.02)
    checks.check(f"no temporary files {when}", not temporary_files(server))


def refused(connection, sql):
    try:
        connection.query(sql)
    except pgwire.Error as error:
        return error.sqlstate
    return None


SORT = "select * from a, generate_series(1, 20) i order by t, i, id"


def interrupts(checks, server, rows):
    load(server.port, rows)
    with pgwire.connect(port=server.port, timeout=120) as connection:
        connection.query("set work_mem = '64kB'; set temp_file_limit = '100kB'")
        checks.check("temp_file_limit", refused(connection, SORT) == "53400")
        checks.check("temp_file_limit of a join", refused(
            connection, "select count(*) from a join a x on a.t || 'x' = x.t || 'x'") == "53400")
        connection.query("reset temp_file_limit")
        no_traces(checks, server, "after temp_file_limit")
        for what in (SORT, "select count(*) from (select distinct t, i, id from a, "
                     "generate_series(1, 20) i) x",
                     "select count(*) from (select t, i, id, count(*) from a, "
                     "generate_series(1, 20) i group by 1, 2, 3) x",
                     "select count(*) from (select * from a, generate_series(1, 20) i) x join "
                     "(select * from a, generate_series(1, 20) i) y on x.id = y.id and x.i = y.i"):
            for delay in (0.15, 0.4):
                timer = threading.Timer(delay, connection.cancel)
                timer.start()
                state = refused(connection, what)
                timer.join()
                if state is None:       # faster than the cancel: which may come yet
                    refused(connection, "select pg_sleep(0.1)")
                checks.check(f"cancelled: {what}", state in ("57014", None), state)
                no_traces(checks, server, "after a cancel")
        # A portal left in the middle: its transaction ends with the pipeline.
        connection.parse(SORT)
        connection.bind()
        connection.execute_portal(rows_max=3)
        connection.sync()
        checks.check("three rows of a portal", len(connection.until_ready()) > 0)
        no_traces(checks, server, "after a portal was left")
    gone = pgwire.connect(port=server.port, timeout=120)
    gone.query("set work_mem = '64kB'")
    thread = threading.Thread(target=lambda: refused_or_lost(gone))
    thread.start()
    time.sleep(0.3)
    gone.sock.shutdown(socket.SHUT_RDWR)
    thread.join()
    no_traces(checks, server, "after a lost connection")


def refused_or_lost(connection):
    try:
        connection.query(SORT)
    except (pgwire.Error, pgwire.ConnectionLost, OSError):
        pass


def full_disk(checks, build, rows):
    """A file system of 4 MB for the temporary files only."""
    server = Server(build)
    folder = os.path.join(server.directory, "data", "tmp")
    os.makedirs(folder)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False,
                      capture_output=True).returncode != 0:
        print("no leave to mount: a full disk is not tried")
        return
    try:
        with server:
            load(server.port, rows)
            with pgwire.connect(port=server.port, timeout=120) as connection:
                connection.query("set work_mem = '64kB'")
                for sql in (SORT, "select count(*) from (select distinct t, i, id from a, "
                            "generate_series(1, 20) i) x"):
                    checks.check(f"full disk: {sql}", refused(connection, sql) == "53100")
                no_traces(checks, server, "after the disk was full")
                checks.check("the next statement", connection.query(
                    "select count(*) from a")[-1].rows[0][0] == str(rows))
    finally:
        subprocess.run(["umount", folder], check=False)


def killed(checks, server, rows):
    connection = pgwire.connect(port=server.port, timeout=120)
    connection.query("set work_mem = '64kB'")
    thread = threading.Thread(target=lambda: refused_or_lost(connection))
    thread.start()
    time.sleep(0.3)
    server.kill()
    thread.join()
    folder = os.path.join(server.directory, "data", "tmp")
    checks.check("nothing left by kill -9", not os.listdir(folder))
    with open(os.path.join(folder, "rows.abcdef"), "w", encoding="utf-8") as file:
        file.write("left by a file system without O_TMPFILE")
    server.start()
    checks.check("the start cleans up", not os.listdir(folder))
    with pgwire.connect(port=server.port, timeout=120) as again:
        checks.check("rows after kill -9",
                     again.query("select count(*) from a")[-1].rows[0][0] == str(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="release")
    parser.add_argument("--rows", type=int, default=30000)
    options = parser.parse_args()
    checks, theirs = Checks(), None
    try:
        if postgres.INSTALLED:
            theirs = postgres.Postgres({"fsync": "off"}).start()
        with Server(options.build) as ours:
            compare(checks, ours, True, theirs, options.rows)
            compare(checks, ours, False, None, options.rows // 30)
            no_traces(checks, ours, "after all queries")
            interrupts(checks, ours, options.rows)
            checks.check("ends well (no leak)", ours.stop(signal.SIGINT) == 0, ours.tail())
            ours.start()
            killed(checks, ours, options.rows)
        full_disk(checks, options.build, options.rows)
    finally:
        if theirs:
            theirs.__exit__()
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
