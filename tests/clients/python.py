#!/usr/bin/python3
"""Python's clients against tuskd, as applications use them: psycopg2, psycopg 3, asyncpg, SQLAlchemy,
Django. What is not installed is skipped. Checks say what PostgreSQL does: --port runs them there.

    tests/clients/python.py [--build release] [--port N] [NAME...]
"""
import argparse
import asyncio
import datetime
import decimal
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import server as servers  # noqa: E402

TESTS = []
# What cannot work yet, with the request that fails: words of the error. Who delivers it takes the line away.
KNOWN = {
    "psycopg2_types": "there are no sequences yet",
    "psycopg2_errors_copy_cursor": "DECLARE CURSOR is not supported",
    "sqlalchemy_orm": "there are no sequences yet",
    "sqlalchemy_reflection": "there are no sequences yet",
    "django_orm": "there are no sequences yet",
}


def test(function):
    TESTS.append(function)
    return function


def same(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


@test
def psycopg2_types(port):
    import psycopg2
    import psycopg2.extras
    with psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres") as db:
        psycopg2.extras.register_uuid()
        cursor = db.cursor()
        cursor.execute("drop table if exists c_types")
        cursor.execute("create table c_types (id serial primary key, i int, b bigint, n numeric(20,4), f float8,"
                       " t text, v varchar(20), d date, ts timestamp, tz timestamptz, u uuid, j jsonb, a int[],"
                       " s text[], y bytea, o boolean)")
        u = uuid.uuid4()
        now = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456)
        values = (1, 2**40, decimal.Decimal("12.5000"), 0.1, "é\n'\"", "v", datetime.date(2020, 1, 2), now,
                  now.replace(tzinfo=datetime.timezone.utc), u, psycopg2.extras.Json({"a": [1, None]}),
                  [1, None, 3], ["x", 'y"z'], b"\x00\xff", True)
        cursor.execute("insert into c_types (i,b,n,f,t,v,d,ts,tz,u,j,a,s,y,o) values"
                       " (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s) returning id", values)
        same(cursor.fetchone(), (1,))
        cursor.execute("select i,b,n,f,t,v,d,ts,tz,u,j,a,s,y,o from c_types")
        row = list(cursor.fetchone())
        row[13] = bytes(row[13])
        want = list(values)
        want[10] = {"a": [1, None]}
        same(row, want)
        psycopg2.extras.execute_values(cursor, "insert into c_types (i) values %s", [(n,) for n in range(100)])
        cursor.execute("select count(*), sum(i) from c_types where i = any(%s)", ([1, 2, 3],))
        same(cursor.fetchone(), (4, 7))
        db.rollback()
    db.close()


@test
def psycopg2_errors_copy_cursor(port):
    import io
    import psycopg2
    import psycopg2.errors
    db = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
    cursor = db.cursor()
    cursor.execute("drop table if exists c_copy")
    cursor.execute("create table c_copy (a int primary key, b text check (b <> 'no'))")
    cursor.copy_expert("copy c_copy from stdin", io.StringIO("".join(f"{i}\tx{i}\n" for i in range(500))))
    db.commit()
    for statement, error in (("insert into c_copy values (1, 'y')", psycopg2.errors.UniqueViolation),
                             ("insert into c_copy values (1000, 'no')", psycopg2.errors.CheckViolation),
                             ("select * from nowhere", psycopg2.errors.UndefinedTable),
                             ("select 1/0", psycopg2.errors.DivisionByZero)):
        try:
            cursor.execute(statement)
            raise AssertionError(f"{statement} did not fail")
        except error as raised:
            same(raised.diag.severity, "ERROR")
        db.rollback()
    out = io.StringIO()
    cursor.copy_expert("copy (select a from c_copy order by a limit 3) to stdout with csv header", out)
    same(out.getvalue(), "a\n0\n1\n2\n")
    named = db.cursor("named")
    named.itersize = 100
    named.execute("select a from c_copy order by a")
    same(sum(row[0] for row in named), sum(range(500)))
    named.close()
    cursor.execute("drop table c_copy")
    db.commit()
    db.close()


@test
def psycopg2_notify(port):
    import psycopg2
    listener = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
    listener.autocommit = True
    listener.cursor().execute("listen c_channel")
    sender = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
    cursor = sender.cursor()
    cursor.execute("notify c_channel, 'one'")
    cursor.execute("select pg_notify('c_channel', 'two')")
    cursor.execute("notify c_channel, 'one'")
    same(select.select([listener], [], [], 0.2)[0], [], "before commit")
    sender.commit()
    end = time.monotonic() + 20
    while len(listener.notifies) < 2 and time.monotonic() < end:
        if select.select([listener], [], [], 1)[0]:
            listener.poll()
    same([(n.channel, n.payload, n.pid == sender.info.backend_pid) for n in listener.notifies],
         [("c_channel", "one", True), ("c_channel", "two", True)])
    cursor.execute("notify c_channel, 'never'")
    sender.rollback()
    own = listener.cursor()
    listener.notifies.clear()
    own.execute("notify c_channel, 'self'")
    same([n.payload for n in listener.notifies], ["self"])
    own.execute("begin; savepoint s; notify c_channel, 'lost'; rollback to s; notify c_channel, 'kept'; commit")
    own.execute("select 1")
    same([n.payload for n in listener.notifies], ["self", "kept"])
    own.execute("unlisten *")
    cursor.execute("notify c_channel, 'late'")
    sender.commit()
    own.execute("select 1")
    same([n.payload for n in listener.notifies], ["self", "kept"])
    # Many at once: none is lost, and their order is that of the commits.
    own.execute("listen c_many")
    listener.notifies.clear()
    for i in range(300):
        cursor.execute("select pg_notify('c_many', %s)", (str(i),))
        sender.commit()
    end = time.monotonic() + 30
    while len(listener.notifies) < 300 and time.monotonic() < end:
        if select.select([listener], [], [], 1)[0]:
            listener.poll()
    same([n.payload for n in listener.notifies], [str(i) for i in range(300)])
    sender.close()
    listener.close()


@test
def psycopg3(port):
    import psycopg
    from psycopg.types.json import Jsonb
    with psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres") as db:
        for binary in (False, True):
            cursor = db.cursor(binary=binary)
            cursor.execute("select %s::int, %s::text, %s::numeric, %s::jsonb, %s::timestamptz, %s::int[], %s::uuid",
                           (5, "x", decimal.Decimal("1.50"), Jsonb({"k": [1, "é"]}),
                            datetime.datetime(2021, 5, 6, tzinfo=datetime.timezone.utc), [1, 2],
                            uuid.UUID(int=7)))
            same(cursor.fetchone(), (5, "x", decimal.Decimal("1.50"), {"k": [1, "é"]},
                                     datetime.datetime(2021, 5, 6, tzinfo=datetime.timezone.utc), [1, 2],
                                     uuid.UUID(int=7)))
        cursor = db.cursor()
        cursor.execute("drop table if exists c_p3")
        cursor.execute("create table c_p3 (a int primary key, b text)")
        with cursor.copy("copy c_p3 from stdin") as copy:
            for i in range(50):
                copy.write_row((i, f"b{i}"))
        with cursor.copy("copy c_p3 to stdout (format binary)") as copy:
            copy.set_types(["int4", "text"])
            same(sum(1 for _ in copy.rows()), 50)
        cursor.executemany("insert into c_p3 values (%s, %s)", [(100 + i, "m") for i in range(20)])
        with db.pipeline():
            a = db.execute("select count(*) from c_p3")
            b = db.execute("select b from c_p3 where a = %s", (100,))
        same((a.fetchone(), b.fetchone()), ((70,), ("m",)))
        try:
            with db.transaction():
                db.execute("insert into c_p3 values (1, 'dup')")
        except psycopg.errors.UniqueViolation as error:
            same(error.diag.constraint_name, "c_p3_pkey")
        same(db.execute("select count(*) from c_p3").fetchone(), (70,))
        db.execute("drop table c_p3")


@test
def asyncpg_client(port):
    import asyncpg

    async def run():
        db = await asyncpg.connect(host="127.0.0.1", port=port, user="postgres", database="postgres")
        heard = asyncio.Queue()
        await db.add_listener("c_async", lambda _db, _pid, _channel, payload: heard.put_nowait(payload))
        await db.execute("drop table if exists c_async")
        await db.execute("create table c_async (id int primary key, j jsonb, n numeric, t timestamptz, a text[])")
        await db.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        now = datetime.datetime.now(datetime.timezone.utc)
        await db.executemany("insert into c_async values ($1, $2, $3, $4, $5)",
                             [(i, {"i": i}, decimal.Decimal(i) / 4, now, ["a", None]) for i in range(10)])
        row = await db.fetchrow("select * from c_async where id = $1", 3)
        same(dict(row), {"id": 3, "j": {"i": 3}, "n": decimal.Decimal("0.75"), "t": now, "a": ["a", None]})
        async with db.transaction():
            seen = [r["id"] async for r in db.cursor("select id from c_async order by id")]
        same(seen, list(range(10)))
        await db.copy_records_to_table("c_async", records=[(100, decimal.Decimal("2.5"), now)],
                                       columns=["id", "n", "t"])
        try:
            async with db.transaction():
                await db.execute("insert into c_async (id) values (3)")
            raise AssertionError("no error")
        except asyncpg.UniqueViolationError as error:
            same(error.constraint_name, "c_async_pkey")
        await db.execute("select pg_notify('c_async', 'hello')")
        same(await asyncio.wait_for(heard.get(), 20), "hello")
        await db.execute("drop table c_async")
        await db.close()

    asyncio.run(run())


@test
def sqlalchemy_orm(port):
    from sqlalchemy import (Column, ForeignKey, Integer, Numeric, String, create_engine, func, select as choose)
    from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
    from sqlalchemy.orm import Session, declarative_base, relationship
    base = declarative_base()

    class Author(base):
        __tablename__ = "c_author"
        id = Column(Integer, primary_key=True)
        name = Column(String(50), unique=True, nullable=False)
        tags = Column(ARRAY(String))
        data = Column(JSONB)
        books = relationship("Book", back_populates="author", cascade="all, delete-orphan")

    class Book(base):
        __tablename__ = "c_book"
        id = Column(Integer, primary_key=True)
        title = Column(String, index=True)
        price = Column(Numeric(10, 2), server_default="0")
        author_id = Column(ForeignKey("c_author.id", ondelete="CASCADE"), nullable=False)
        author = relationship("Author", back_populates="books")

    engine = create_engine(f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres")
    base.metadata.drop_all(engine)
    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Author(name="A", tags=["x", "y"], data={"k": 1},
                           books=[Book(title="one", price=decimal.Decimal("9.50")), Book(title="two")]))
        session.add(Author(name="B", data={"k": 2}))
        session.commit()
        author = session.execute(choose(Author).where(Author.data["k"].astext == "1")).scalar_one()
        same(([b.title for b in author.books], author.tags), (["one", "two"], ["x", "y"]))
        rows = session.execute(choose(Author.name, func.count(Book.id)).outerjoin(Book).group_by(Author.name)
                               .order_by(Author.name)).all()
        same([tuple(r) for r in rows], [("A", 2), ("B", 0)])
        session.execute(insert(Author).values(name="A", data={}).on_conflict_do_update(
            index_elements=["name"], set_={"data": {"k": 3}}))
        session.commit()
        same(session.execute(choose(Author.data).where(Author.name == "A")).scalar_one(), {"k": 3})
        session.delete(session.execute(choose(Author).where(Author.name == "A")).scalar_one())
        session.commit()
        same(session.execute(choose(func.count()).select_from(Book)).scalar_one(), 0)
    base.metadata.drop_all(engine)


@test
def sqlalchemy_reflection(port):
    from sqlalchemy import create_engine, inspect, text
    engine = create_engine(f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres")
    with engine.begin() as db:
        db.execute(text("drop table if exists c_child, c_parent"))
        db.execute(text("create table c_parent (id serial primary key, code varchar(10) unique not null)"))
        db.execute(text("create table c_child (a int, b int, p int references c_parent(id) on delete cascade,"
                        " n numeric(8,2) default 1.5, primary key (a, b), check (n > 0))"))
        db.execute(text("create index c_child_n on c_child (n)"))
        db.execute(text("comment on table c_child is 'kids'"))
    about = inspect(engine)
    same([c["name"] for c in about.get_columns("c_child")], ["a", "b", "p", "n"])
    same(str(about.get_columns("c_child")[3]["type"]), "NUMERIC(8, 2)")
    same(about.get_pk_constraint("c_child")["constrained_columns"], ["a", "b"])
    keys = about.get_foreign_keys("c_child")
    same([(k["referred_table"], k["constrained_columns"], k["options"]) for k in keys],
         [("c_parent", ["p"], {"ondelete": "CASCADE"})])
    same([i["name"] for i in about.get_indexes("c_child")], ["c_child_n"])
    same([u["column_names"] for u in about.get_unique_constraints("c_parent")], [["code"]])
    same(len(about.get_check_constraints("c_child")), 1)
    same(about.get_table_comment("c_child")["text"], "kids")
    same("c_child" in about.get_table_names(), True)
    with engine.begin() as db:
        db.execute(text("drop table c_child, c_parent"))


DJANGO = '''
import sys, django
from django.conf import settings
settings.configure(DEBUG=True, SECRET_KEY="x", DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres",
                           "HOST": "127.0.0.1", "PORT": sys.argv[1]}})
django.setup()
from django.core.management import call_command
from django.db import connection, transaction, IntegrityError
from django.db.models import Count, F, Q
call_command("migrate", verbosity=0)
from django.contrib.auth.models import Group, User
User.objects.filter(username__startswith="c_").delete()
for i in range(5):
    User.objects.create_user(f"c_{i}", f"{i}@x.org", "pw")
group, _ = Group.objects.get_or_create(name="c_group")
group.user_set.set(User.objects.filter(username__in=["c_1", "c_2"]))
assert User.objects.filter(username__startswith="c_").count() == 5
assert list(User.objects.filter(groups__name="c_group").order_by("-username").values_list("username", flat=True)) == ["c_2", "c_1"]
assert User.objects.filter(Q(username__iexact="C_3") | Q(email__icontains="4@X")).count() == 2
User.objects.filter(username="c_1").update(first_name=F("username"))
assert User.objects.get(username="c_1").first_name == "c_1"
assert Group.objects.annotate(n=Count("user")).get(name="c_group").n == 2
try:
    with transaction.atomic():
        User.objects.create(username="c_1")
    raise SystemExit("no error")
except IntegrityError:
    pass
with transaction.atomic():
    assert User.objects.select_for_update().get(username="c_2").username == "c_2"
assert User.objects.get(username="c_0").check_password("pw")
assert "auth_user" in connection.introspection.table_names()
call_command("inspectdb", "auth_user", "auth_group")
User.objects.filter(username__startswith="c_").delete()
group.delete()
call_command("migrate", "auth", "zero", verbosity=0)
print("django ok")
'''


@test
def django_orm(port):
    import django  # noqa: F401
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(DJANGO)
        script.flush()
        run = subprocess.run([sys.executable, script.name, str(port)], capture_output=True, text=True, timeout=300,
                             check=False)
    if "django ok" not in run.stdout:
        raise AssertionError(run.stderr[-1500:] + run.stdout[-500:])
    for words in ("username = models.CharField(unique=True, max_length=150)", "class AuthGroup(models.Model)"):
        if words not in run.stdout:
            raise AssertionError(f"inspectdb does not say {words!r}:\n{run.stdout[-1500:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--build", default="release")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    server = None if options.port else servers.Server(options.build)
    port = options.port or server.start().port
    passed = failed = skipped = 0
    try:
        for function in TESTS:
            if options.names and function.__name__ not in options.names:
                continue
            try:
                function(port)
                passed += 1
                if server and function.__name__ in KNOWN:
                    print(f"{function.__name__} works: take it from KNOWN")
            except ImportError as error:
                skipped += 1
                print(f"skipped {function.__name__}: {error}")
            except Exception as error:  # whatever a client makes of our answers
                if server and KNOWN.get(function.__name__, "\0") in str(error):
                    passed += 1
                    print(f"{function.__name__} cannot work yet: {KNOWN[function.__name__]}")
                    continue
                failed += 1
                print(f"FAILED {function.__name__}: {type(error).__name__}: {str(error)[:1500]}")
                if os.environ.get("TRACE"):
                    traceback.print_exc()
    finally:
        if server:
            server.__exit__(None, None, None)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
