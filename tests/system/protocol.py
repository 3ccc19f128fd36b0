#!/usr/bin/env python3
"""The wire protocol, message by message: what a server answers is written down and compared with
tests/system/protocol.expected, which PostgreSQL 15 has written.

    tests/system/protocol.py [--build release]    start a tuskd and compare
    tests/system/protocol.py --postgres           start a PostgreSQL 15 and compare
    tests/system/protocol.py --write              start a PostgreSQL 15 and write what is expected
    tests/system/protocol.py --port N             use a running server
"""
import argparse
import difflib
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
import postgres
from pgwire import cstr, int16, int32
from server import Checks, Server

EXPECTED = Path(__file__).with_suffix(".expected")


def shown(message, columns):
    """One line that says what a message holds, without what may differ (object ids)."""
    kind, body = message
    if kind in "EN":
        fields = pgwire.parse_fields(body)
        text = f"{kind} {fields.get('V')} {fields.get('C')} {fields.get('M')}"
        return text + "".join(f" {name}={fields[name]}" for name in "PDH" if name in fields)
    if kind == "T":
        columns[:] = pgwire.parse_row_description(body)
        return "T " + ", ".join(
            f"{c.name} {'table' if c.table_oid else '-'}.{c.column_number} type {c.type_oid} "
            f"size {c.type_size} typmod {c.typmod} format {c.format}" for c in columns)
    if kind == "D":
        values, at = [], 2
        for _ in range(struct.unpack_from("!H", body)[0]):
            size = struct.unpack_from("!i", body, at)[0]
            at += 4
            if size < 0:
                values.append("NULL")
                continue
            value = body[at:at + size]
            at += size
            printable = all(32 <= byte < 127 or byte >= 128 for byte in value)
            try:
                values.append(repr(value.decode()) if printable else value.hex())
            except UnicodeDecodeError:
                values.append(value.hex())
        return "D " + " | ".join(values)
    if kind == "t":
        return "t " + " ".join(map(str, struct.unpack(f"!H{(len(body) - 2) // 4}I", body)[1:]))
    if kind in "GHW":
        count = struct.unpack_from("!bH", body)
        return f"{kind} format {count[0]} columns {struct.unpack_from(f'!{count[1]}H', body, 3)}"
    if kind == "d":
        return f"d {body!r}"
    return f"{kind} {body.rstrip(bytes(1)).decode('latin-1')}".strip()


class Scenario:
    def __init__(self, connection):
        self.connection = connection
        self.lines = []

    def head(self, text):
        self.lines.append(f"## {text}")

    def ready(self):
        """Writes down everything up to ReadyForQuery."""
        columns = []
        while True:
            message = self.connection.receive()
            if message.type != "S":
                self.lines.append(shown(message, columns))
            if message.type == "Z":
                return

    def error(self):
        """Writes down the error up to ReadyForQuery, and nothing else."""
        for message in self.connection.until_ready():
            if message.type == "E":
                self.lines.append(shown(message, []))

    def state(self):
        """The same without its words."""
        for message in self.connection.until_ready():
            if message.type == "E":
                self.lines.append("E " + pgwire.parse_fields(message.body)["C"])

    def take(self, count):
        columns = []
        for _ in range(count):
            self.lines.append(shown(self.connection.receive(), columns))

    def simple(self, sql):
        self.lines.append(f"> {sql[:200]!r}")
        self.connection.send(b"Q", cstr(sql))
        self.ready()

    def extended(self, sql, params=(), types=(), formats=(), result_formats=(), rows_max=0):
        self.lines.append(f"> {sql} {list(params)} types {list(types)} formats {list(formats)} "
                          f"{list(result_formats)}")
        c = self.connection
        c.parse(sql, types=types)
        c.bind(params, formats=formats, result_formats=result_formats)
        c.describe("S")
        c.describe("P")
        c.execute_portal(rows_max=rows_max)
        c.sync()
        self.ready()


# type: oid, [(text, binary)]
VALUES = {
    "boolean": (16, ["t", "false", "1"], [b"\0", b"\1"]),
    "smallint": (21, ["0", "-32768", " 32767 "], [struct.pack("!h", n) for n in (0, -32768, 5)]),
    "integer": (23, ["0", "-2147483648", "2147483647"],
                [struct.pack("!i", n) for n in (0, -1, 2 ** 31 - 1)]),
    "bigint": (20, ["9223372036854775807"], [struct.pack("!q", n) for n in (0, -2 ** 63)]),
    "real": (700, ["1.5", "NaN", "-Infinity", "3.4e38"],
             [struct.pack("!f", n) for n in (1.5, -0.0, float("inf"))]),
    "double precision": (701, ["1.5", "NaN", "1e300"],
                         [struct.pack("!d", n) for n in (1.5, 0.1, float("nan"), 1e-310)]),
    "numeric": (1700, ["0", "1.50", "-12345.678", "1e20", "0.0001", "NaN", "Infinity",
                       "12345678901234567890.123456789"],
                [struct.pack("!4h", 0, 0, 0, 0), struct.pack("!5h", 1, 0, 0x4000, 0, 7),
                 struct.pack("!6h", 2, 0, 0, 2, 1, 5000), struct.pack("!4h", 0, 0, -0x4000, 0),
                 struct.pack("!5h", 1, -1, 0, 4, 1), struct.pack("!6h", 2, 4, 0, 0, 12, 34)]),
    "text": (25, ["", "abc", "größe"], [b"", b"abc", "größe".encode()]),
    "varchar": (1043, ["abc"], [b"xyz"]),
    "char(5)": (1042, ["abc"], [b"xyz"]),
    "bytea": (17, ["\\x00ff", "abc", "\\\\x"], [b"", b"\0\1\xff"]),
    "date": (1082, ["2024-02-29", "infinity", "0044-03-15 BC"],
             [struct.pack("!i", n) for n in (0, -1, 8825, 2 ** 31 - 1, -2 ** 31)]),
    "timestamp": (1114, ["2024-02-29 12:34:56.789", "-infinity"],
                  [struct.pack("!q", n) for n in (0, -1, 10 ** 15, 2 ** 63 - 1)]),
    "timestamptz": (1184, ["2024-02-29 12:34:56.789+02", "infinity"],
                    [struct.pack("!q", n) for n in (0, 10 ** 15)]),
    "uuid": (2950, ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], [bytes(range(16))]),
}


def types(s):
    s.head("every type: text and binary, in and out")
    for name, (oid, texts, binaries) in VALUES.items():
        for value in texts:
            for result in (0, 1):
                s.extended(f"select $1::{name} as v", [value], [oid], [0], [result])
        for value in binaries:
            for result in (0, 1):
                s.extended(f"select $1::{name} as v", [value], [oid], [1], [result])
        s.extended(f"select $1::{name} as v", [None], [oid], [1], [1])
        s.extended(f"select $1::{name} as v", [None], [], [], [])
    s.head("malformed binary")
    for name, value in (("integer", b"\0"), ("bigint", b"\0" * 4), ("smallint", b""),
                        ("double precision", b"\0" * 7), ("uuid", b"x"), ("boolean", b""),
                        ("boolean", b"\0\0"), ("numeric", b"\0"), ("text", b"\xff\xfe"),
                        ("numeric", struct.pack("!5h", 1, 0, 0, 0, 10000)),
                        ("numeric", struct.pack("!4h", 0, 0, 0x1234, 0)),
                        ("numeric", struct.pack("!4h", 3, 0, 0, 0)),
                        ("date", struct.pack("!i", 2 ** 31 - 2)), ("timestamp", b"\0" * 9),
                        ("text", b"a\0b")):
        s.extended(f"select $1::{name} as v", [value], [VALUES[name][0]], [1], [0])
    s.head("malformed text")
    for name, value in (("integer", "x"), ("boolean", "maybe"), ("date", "2024-02-30"),
                        ("uuid", "1"), ("bytea", "\\xz"), ("numeric", "1.2.3")):
        s.extended(f"select $1::{name} as v", [value], [VALUES[name][0]])


def inference(s):
    s.head("types of parameters are found")
    s.simple("create table pi (id int primary key, t text, n numeric, d date, b bigint, v varchar(5))")
    for sql, params in (
            ("select $1", ["x"]), ("select $1 + 1", ["2"]), ("select $1 || 'x'", ["a"]),
            ("select $1::int8 + $2", ["2", "3"]), ("select * from pi where id = $1", ["2"]),
            ("select * from pi where t = $1 and n > $2", ["2", "2"]),
            ("insert into pi values ($1, $2, $3, $4, $5, $6)",
             ["1", "t", "1.5", "2024-01-01", "77", "abc"]),
            ("insert into pi (id, v) values ($1, $2)", ["2", "abcde"]),
            ("update pi set n = $1 where id = $2 returning n", ["5", "1"]),
            ("select id from pi where id in ($1, $2)", ["1", "7"]),
            ("select id from pi where id between $1 and $2", ["1", "7"]),
            ("select case when $1 then 1 else 2 end", ["t"]), ("select coalesce($1, 5)", ["6"]),
            ("select id from pi order by id limit $1 offset $2", ["1", "0"]), ("select $1 = $2", ["a", "b"]),
            ("select $2::int", ["1", "2"]), ("select $1, $1::int", ["1"]),
            ("select length($1)", ["abc"]), ("select upper($1)", ["abc"]), ("select abs($1)", ["-1"]),
            ("select $1 is null", ["1"]), ("select id from pi where b = $1", ["77"]),
            ("select id from pi where id = $1 + 1", ["0"]), ("select $1 like 'a%'", ["abc"]),
            ("select count(*) from pi where d > $1", ["2020-01-01"]),
            ("select x from (values ($1), ($2)) t (x)", ["a", "b"]),
            ("select $1 union select 1 order by 1", ["2"]), ("delete from pi where id = $1", ["2"]),
            ("select $1::text, $1::varchar", ["a"]), ("select nullif($1, 3)", ["3"]),
            ("select $1 and true", ["f"]), ("select - $1", ["5"]), ("select not $1", ["t"]),
            ("select generate_series($1, 2)", ["1"]), ("select $1 * 1.5", ["2"]),
            ("select cast($1 as date) + $2", ["2024-01-01", "5"])):
        s.extended(sql, params)
    s.extended("select $1 + $2", ["1", "2"], [23, 20])
    s.extended("select $1", ["1"], [23])
    s.extended("select $1::text", ["1"], [23])
    s.extended("select id from pi where id = $1", ["1"], [20])
    s.extended("select id from pi where id = $1", ["1"], [1700])
    s.extended("select id from pi where id = $1", ["1"], [25])
    s.extended("select 1", [], [23])


def results(s):
    s.head("row descriptions and results")
    s.simple("create table pr (id int primary key, v varchar(7), c char(3), n numeric(8,2), t text, "
             "ts timestamp(3))")
    s.simple("insert into pr values (1, 'a', 'b', 3.5, null, '2024-01-01 00:00:00.1234'), (2, null, "
             "null, null, 'x', null)")
    s.simple("select * from pr order by id")
    s.simple("select id as x, id + 1, v || 'q' from pr order by id limit 1")
    s.simple("select p.id, q.v, (select 1) as one from pr p join pr q on p.id = q.id order by 1")
    s.simple("select max(v), min(n), count(*), n::text from pr group by n order by n")
    s.simple("select * from (select id, v from pr) t order by 1")
    s.simple("select v from pr union select 'z' order by 1")
    s.extended("select * from pr order by id", result_formats=[1])
    s.extended("select * from pr order by id", result_formats=[0, 1, 0, 1, 0, 1])
    s.extended("select * from pr order by id", result_formats=[0, 1])
    s.extended("insert into pr values (3) returning id, v", result_formats=[1])
    s.extended("insert into pr values (4)", result_formats=[])
    s.extended("update pr set v = 'u' where id > 2")
    s.extended("delete from pr where id > 2 returning *")
    s.extended("begin")
    s.extended("commit")
    s.extended("show standard_conforming_strings")
    s.extended("set application_name = 'x'")
    s.extended("create table pr2 (a int)")
    s.extended("drop table pr2")
    s.extended("values (1, 'a')", result_formats=[1])
    s.extended("")
    s.extended(";")
    s.extended("-- only a comment")
    s.extended("select 1; select 2")
    s.extended("select * from nosuch")
    s.extended("select 'unfinished")


def simple(s):
    s.head("simple queries")
    s.simple("")
    s.simple(" ; ; ")
    s.simple("select 1; select 'two' as b; select 3 where false")
    s.simple("select 1; select nosuch; select 2")
    s.simple("select 1; selec 2; select 3")
    s.simple("begin; select 1; commit")
    s.simple("begin; select nosuch; select 2")
    s.simple("select 3")
    s.simple("commit")
    s.simple("create table ps (a int primary key); insert into ps values (1); select * from ps")
    s.simple("insert into ps values (2); insert into ps values (1)")
    s.simple("select * from ps order by a")
    s.simple("insert into ps values (3); begin; insert into ps values (4); commit; "
             "insert into ps values (5); select nosuch")
    s.simple("select * from ps order by a")
    s.simple("begin; insert into ps values (6); rollback; insert into ps values (7)")
    s.simple("select * from ps order by a")
    s.simple("savepoint a")
    s.simple("begin; savepoint a; select nosuch")
    s.simple("rollback to a; select 'back'; commit")
    s.simple("begin")
    s.simple("begin")
    s.simple("commit")
    s.simple("commit")
    s.simple("rollback")
    s.simple("drop table if exists nosuch")
    s.simple("create table if not exists ps (a int)")
    s.simple("select 'unfinished")
    s.simple('select "unfinished')
    s.simple("select /* unfinished")
    s.simple("select $$ unfinished")
    s.simple("select nosuch from ps")
    s.simple("select 1 +")
    s.simple("insert into ps values (1)")
    s.simple("insert into ps values ('x')")
    s.simple("update ps set a = a + 100 where a > 1")
    s.simple("delete from ps where a = 1")
    s.simple("select count(*) from ps")
    s.simple("truncate ps")
    s.simple("explain nosuch")


def portals(s):
    c = s.connection
    s.head("portals are suspended")
    c.parse("select g from generate_series(1, 5) g")
    c.bind()
    c.describe()
    c.execute_portal(rows_max=2)
    c.execute_portal(rows_max=2)
    c.execute_portal(rows_max=2)
    c.execute_portal(rows_max=2)
    c.sync()
    s.ready()
    s.head("exactly as many rows as asked")
    c.parse("select g from generate_series(1, 2) g")
    c.bind()
    c.execute_portal(rows_max=2)
    c.execute_portal(rows_max=2)
    c.sync()
    s.ready()
    s.head("a portal ends with its transaction")
    c.parse("select g from generate_series(1, 5) g", name="five")
    c.bind(portal="p", name="five")
    c.execute_portal("p", 1)
    c.sync()
    s.ready()
    c.execute_portal("p", 1)
    c.sync()
    s.ready()
    s.head("named portals, two at once, inside a transaction")
    s.simple("begin")
    c.bind(portal="p", name="five")
    c.bind(portal="q", name="five")
    for portal in "pqpq":
        c.execute_portal(portal, 2)
    c.sync()
    s.ready()
    c.execute_portal("p", 0)
    c.close_portal("p")
    c.execute_portal("p", 0)
    c.sync()
    s.ready()
    s.simple("rollback")
    s.head("a portal lives on after Sync inside a transaction")
    s.simple("begin")
    c.bind(portal="r", name="five")
    c.execute_portal("r", 1)
    c.sync()
    s.ready()
    c.execute_portal("r", 1)
    c.sync()
    s.ready()
    c.bind(portal="r", name="five")
    c.sync()
    s.ready()
    s.simple("commit")
    s.head("rows of a table, suspended, with changes in between")
    s.simple("create table pp (a int primary key); insert into pp select generate_series(1, 6)")
    s.simple("begin")
    c.parse("select a from pp order by a", name="rows")
    c.bind(portal="t", name="rows")
    c.execute_portal("t", 2)
    c.sync()
    s.ready()
    s.simple("delete from pp where a > 3; insert into pp values (100)")
    c.execute_portal("t", 0)
    c.sync()
    s.ready()
    s.simple("rollback")
    s.head("an INSERT is not suspended")
    c.parse("insert into pp values (7), (8), (9) returning a")
    c.bind()
    c.execute_portal(rows_max=1)
    c.execute_portal(rows_max=1)
    c.sync()
    s.ready()
    s.simple("select count(*) from pp")
    s.head("executed twice")
    c.parse("insert into pp values (20)")
    c.bind()
    c.execute_portal()
    c.execute_portal()
    c.sync()
    s.ready()


def statements(s):
    c = s.connection
    s.head("named statements")
    c.parse("select $1::int + 1 as x", name="s1")
    c.describe("S", "s1")
    c.sync()
    s.ready()
    for value in ("1", "2"):
        c.bind([value], name="s1")
        c.execute_portal()
        c.sync()
        s.ready()
    c.parse("select 2", name="s1")
    c.sync()
    s.ready()
    c.close_statement("s1")
    c.close_statement("s1")
    c.parse("select 2 as y", name="s1")
    c.describe("S", "s1")
    c.sync()
    s.ready()
    s.head("what is not there")
    for message in (lambda: c.bind(name="nosuch"), lambda: c.describe("S", "nosuch"),
                    lambda: c.describe("P", "nosuch"), lambda: c.execute_portal("nosuch"),
                    lambda: c.bind(["1"], name="s1"), lambda: c.close_portal("nosuch")):
        message()
        c.sync()
        s.ready()
    s.head("a table changes under a prepared statement")
    s.simple("create table st (a int, b text); insert into st values (1, 'x')")
    c.parse("select * from st", name="all")
    c.parse("select a from st where b = $1", name="some")
    c.sync()
    s.ready()
    s.simple("create index st_b on st (b)")
    c.bind(["x"], name="some")
    c.execute_portal()
    c.sync()
    s.ready()
    s.simple("alter table st add column c int")
    c.bind(["x"], name="some")
    c.execute_portal()
    c.sync()
    s.ready()
    # Whether Bind or Execute says so is the server's choice.
    c.bind(name="all")
    c.execute_portal()
    c.sync()
    s.error()
    s.simple("drop table st")
    c.bind(["x"], name="some")
    c.execute_portal()
    c.sync()
    s.error()
    s.head("statements of the protocol and of SQL are the same")
    c.parse("select $1::text || '!' as z", name="both")
    c.sync()
    s.ready()
    s.simple("execute both ('hey')")
    s.simple("prepare fromsql (int) as select $1 * 2 as d")
    c.bind(["21"], name="fromsql")
    c.describe("P")
    c.execute_portal()
    c.sync()
    s.ready()
    s.simple("deallocate both")
    c.bind(["x"], name="both")
    c.sync()
    s.ready()
    s.head("numbers of parameters and formats")
    c.parse("select $1::int, $2::int", name="two")
    for params, formats in ((["1"], []), (["1", "2", "3"], []), (["1", "2"], [0, 0, 0]),
                            (["1", b"\0\0\0\2"], [0, 1])):
        c.bind(params, name="two", formats=formats)
        c.execute_portal()
        c.sync()
        s.ready()
    c.parse("select 1", name="one")
    c.bind(name="one", result_formats=[0, 0])
    c.execute_portal()
    c.sync()
    s.ready()


def pipeline(s):
    c = s.connection
    s.simple("create table pl (a int primary key)")
    s.head("many statements, one Sync")
    for number in range(5):
        c.parse("insert into pl values ($1)")
        c.bind([str(number)])
        c.execute_portal()
    c.sync()
    s.ready()
    s.head("an error skips to Sync and takes the batch back")
    for number in (10, 11, 0, 12):
        c.parse("insert into pl values ($1)")
        c.bind([str(number)])
        c.execute_portal()
    c.sync()
    s.ready()
    s.simple("select count(*), max(a) from pl")
    s.head("after Sync it goes on")
    for sql in ("select 1", "selec", "select 2"):
        c.parse(sql)
        c.bind()
        c.execute_portal()
        c.sync()
    for _ in range(3):
        s.ready()
    s.head("inside a transaction")
    for sql in ("begin", "insert into pl values (50)", "commit", "insert into pl values (51)"):
        c.parse(sql)
        c.bind()
        c.execute_portal()
    c.sync()
    s.ready()
    for sql in ("begin", "insert into pl values (60)", "insert into pl values (60)", "commit"):
        c.parse(sql)
        c.bind()
        c.execute_portal()
    c.sync()
    s.ready()
    c.parse("select 1")
    c.bind()
    c.execute_portal()
    c.sync()
    s.ready()
    s.simple("rollback")
    s.simple("select a from pl where a >= 50 order by a")
    s.head("Flush")
    c.parse("select 7")
    c.flush()
    s.take(1)
    c.bind()
    c.describe()
    c.flush()
    s.take(2)
    c.execute_portal()
    c.flush()
    s.take(2)
    c.sync()
    s.ready()
    s.head("a simple query within a batch")
    c.parse("insert into pl values (70)")
    c.bind()
    c.execute_portal()
    c.send(b"Q", cstr("select count(*) from pl where a = 70"))
    s.ready()
    s.head("Sync alone, twice")
    c.sync()
    c.sync()
    s.ready()
    s.ready()
    s.head("all sent at once")
    count = 300
    for number in range(count):
        c.parse("select $1::int")
        c.bind([str(number)])
        c.execute_portal()
        c.sync()
    good = 0
    for number in range(count):
        messages = c.until_ready()
        good += [m.type for m in messages] == ["1", "2", "D", "C", "Z"] and \
            messages[2].body.endswith(str(number).encode())
    s.lines.append(f"{good} of {count}")


def copy(s):
    c = s.connection
    s.simple("create table cp (a int primary key, b text, c numeric)")

    def copy_in(sql, *parts, end=b"c", body=b""):
        s.lines.append(f"> {sql} {parts} {end}")
        c.send(b"Q", cstr(sql))
        s.take(1)
        if not s.lines[-1].startswith("G"):
            s.ready()
            return
        for part in parts:
            c.send(b"d", part)
        c.send(end, body)
        s.ready()

    s.head("COPY FROM STDIN, text")
    copy_in("copy cp from stdin", b"1\tone\t1.5\n2\t\\N\t\\N\n3\ta\\tb\\nc\\\\d\t-1\n")
    copy_in("copy cp from stdin", b"4\tfo", b"ur\t4\n5\tfi", b"ve\t", b"5")
    copy_in("copy cp from stdin", b"6\tsix\t6\n\\.\n")
    copy_in("copy cp (b, a) from stdin", b"seven\t7\n")
    copy_in("copy cp from stdin")
    copy_in("copy cp from stdin", b"8\teight\r\n")
    copy_in("copy cp from stdin", b"8\teight\t8\r\n9\tnine\t9\r\n")
    copy_in("copy cp from stdin with (delimiter '|', null 'nil')", b"10|nil|nil\n11|\\||\\N\n")
    copy_in("copy cp from stdin with (delimiter '|', null 'nil')", b"10|nil|nil\n11|\\||1\n")
    copy_in("copy cp from stdin", b"12\t\\x41\\101\\e\t1\n")
    copy_in("copy cp from stdin with (header)", b"whatever\n13\ta\t1\n")
    s.simple("select * from cp order by a")
    s.head("what is wrong in COPY")
    copy_in("copy cp from stdin", b"\n")
    copy_in("copy cp (b) from stdin", b"\n")
    copy_in("copy cp from stdin", b"20\ttwo\n")
    copy_in("copy cp from stdin", b"20\ttwo\t2\tmore\n")
    copy_in("copy cp from stdin", b"x\ttwo\t2\n")
    copy_in("copy cp from stdin", b"20\ta\t1\n20\tb\t1\n")
    copy_in("copy cp from stdin", b"\\N\ta\t1\n")
    copy_in("copy cp from stdin", b"21\ta\t1\n", end=b"f", body=cstr("changed my mind"))
    copy_in("copy cp from stdin", b"21\t\xff\xfe\t1\n")
    copy_in("copy nosuch from stdin")
    copy_in("copy cp (nosuch) from stdin")
    copy_in("copy cp from stdin with (nosuch)")
    copy_in("copy cp from stdin with (format nosuch)")
    s.simple("select count(*) from cp")
    s.head("COPY in a transaction")
    s.simple("begin")
    copy_in("copy cp from stdin", b"30\ta\t1\n")
    s.simple("select count(*) from cp where a = 30")
    s.simple("rollback")
    s.simple("select count(*) from cp where a = 30")
    s.head("csv")
    copy_in("copy cp from stdin with (format csv)",
            b'40,"quoted, ""text""\nwith line",1\n41,,\n42,"",2\n43, spaces ,3\n')
    copy_in("copy cp from stdin csv header", b"a,b,c\n44,x,1\n")
    copy_in("copy cp from stdin with (format csv, delimiter ';', quote '''', null 'NULL')",
            b"45;'it''s';NULL\n46;NULL;1\n47;'NULL';1\n")
    copy_in("copy cp from stdin with (format csv, header match)", b"a,b,d\n48,x,1\n")
    copy_in("copy cp from stdin with (format csv)", b'49,"open,1\n')
    copy_in("copy cp from stdin with (format csv)", b"49,a\n")
    copy_in("copy cp from stdin with (format csv)", b"49,a,1\r\n50,b,2\r\n")
    s.simple("select * from cp where a >= 40 order by a")
    s.head("binary")
    head = b"PGCOPY\n\xff\r\n\0" + int32(0) + int32(0)
    field = lambda data: int32(len(data)) + data
    row = int16(3) + field(int32(70)) + field(b"bin\\ary") + int32(-1)
    rest = int16(3) + field(int32(71)) + field(b"") + field(int16(1) + int16(0) * 2 + int16(1) + int16(7))
    for parts in ((head + row + rest + int16(-1),), (head[:5], head[5:] + row[:9], b"", row[9:]),
                  (b"PGCOPY\n\xfe\r\n\0" + int32(0) + int32(0),), (head[:13],), (head[:17],),
                  (head[:11] + int32(1 << 16) + int32(0),), (head[:11] + int32(1) + int32(3) + b"ab",),
                  (head[:11] + int32(1) + int32(2) + b"ab" + int16(-1),),
                  (head + int16(2) + row[2:],), (head + row[:-1],), (head + int16(3)[:1],),
                  (head + int16(3) + int32(-2),), (head + int16(-1) + b"x",),
                  (head + int16(3) + field(b"abc") + int32(-1) * 2,),
                  (head + int16(3) + field(int32(70)) + field(b"\xff") + int32(-1),)):
        copy_in("copy cp from stdin (format binary)", *parts)
        s.simple("select count(*) from cp")
        s.simple("delete from cp where a = 70 and b <> 'bin\\ary'")
        s.simple("delete from cp where a in (70, 71)")
    copy_in("copy cp from stdin binary", head + row)
    for options in ("format binary, delimiter ','", "format binary, null 'x'", "format binary, header"):
        copy_in(f"copy cp from stdin ({options})")
    s.simple("copy (select a, b, c, null::int from cp where a < 3 order by a) to stdout (format binary)")
    s.simple("copy (select 1 where false) to stdout with binary")
    s.simple("copy (select true, 1.5::float8, date '2024-01-01', '\\x00ff'::bytea, array[1,2], "
             "interval '1 day 2 s') to stdout (format binary)")
    s.simple("delete from cp where a = 70")
    s.head("COPY TO STDOUT")
    s.simple("delete from cp where a > 3 and a < 40")
    for sql in ("copy cp to stdout", "copy cp (c, a) to stdout",
                "copy (select a, b from cp order by a desc limit 3) to stdout",
                "copy cp to stdout with (format csv)", "copy cp to stdout with (format csv, header)",
                "copy cp to stdout csv header", "copy (select 1 where false) to stdout csv header",
                "copy cp to stdout with (format csv, force_quote *)",
                "copy cp to stdout with (delimiter '|', null 'nil')",
                "copy (values (true, 1.5::float8, date '2024-01-01', '\\x00'::bytea)) to stdout",
                "copy nosuch to stdout", "copy (selec) to stdout",
                "copy (select 1) to stdout; select 2"):
        s.simple(sql)
    s.head("COPY in the extended protocol")
    c.parse("copy (select 1, 'x') to stdout")
    c.bind()
    c.execute_portal()
    c.sync()
    s.ready()
    c.parse("copy cp from stdin")
    c.bind()
    c.execute_portal()
    c.flush()
    s.take(3)
    c.send(b"d", b"60\ta\t1\n")
    c.send(b"c")
    c.sync()
    s.ready()
    s.simple("select b from cp where a = 60")
    s.head("stray copy messages are ignored")
    c.send(b"d", b"xyz")
    c.send(b"c")
    s.simple("select 1")


def misuse(s):
    c = s.connection
    s.head("messages that are not as they should be")
    c.send(b"P", b"no end")
    c.sync()
    s.state()
    c.parse("select 1")
    c.send(b"B", cstr("") + cstr("") + int16(5))
    c.sync()
    s.state()
    c.send(b"D", b"X" + cstr(""))
    c.sync()
    s.state()
    c.send(b"C", b"X" + cstr(""))
    c.sync()
    s.state()
    c.send(b"E", cstr("") + int32(0) + b"more")
    c.sync()
    s.state()
    c.parse("select $1::int")
    c.send(b"B", cstr("") + cstr("") + int16(0) + int16(1) + int32(100) + b"1")
    c.sync()
    s.state()
    c.parse("select $1::int")
    c.send(b"B", cstr("") + cstr("") + int16(1) + int16(7) + int16(1) + int32(1) + b"1" + int16(0))
    c.sync()
    s.state()
    c.send(b"Q", b"select '\xff'\0")
    s.state()
    c.send(b"F", int32(1) + int16(0) + int16(0) + int16(0))
    s.lines.append("(function call)")
    answer = c.until_ready()
    s.lines.append(f"{answer[0].type} {answer[-1].type}")
    s.simple("select 'still here'")


def startup(s):
    s.head("what a connection is told at its start")
    for name in ("server_encoding", "client_encoding", "DateStyle", "integer_datetimes",
                 "standard_conforming_strings", "is_superuser", "session_authorization", "TimeZone",
                 "IntervalStyle", "application_name"):
        s.lines.append(f"{name} = {s.connection.parameters.get(name)}")
    s.lines.append(f"server_version {s.connection.parameters.get('server_version', '')[:3]}")
    s.head("a setting that is reported")
    s.connection.send(b"Q", cstr("set application_name = 'me'"))
    s.lines += [f"{m.type} {m.body!r}" for m in s.connection.until_ready()]
    s.connection.send(b"Q", cstr("begin; set local timezone = 'Europe/Berlin'; rollback"))
    s.lines += [f"{m.type} {m.body!r}" for m in s.connection.until_ready()]
    other = pgwire.connect(port=s.connection.port, options="-c statement_timeout=1234",
                           application_name="given")
    for name in ("statement_timeout", "application_name"):
        s.lines.append(f"{name} {other.rows('show ' + name)}")
    other.close()
    for parameters in ({"database": "nosuch"}, {"user": "nosuch"}, {"nosuch": "1"},
                       {"client_encoding": "nosuch"}):
        try:
            pgwire.connect(port=s.connection.port, **parameters).close()
            s.lines.append(f"{parameters} accepted")
        except pgwire.Error as error:
            s.lines.append(f"{parameters} {error.severity} {error.sqlstate} {error.message}")
    s.head("SSLRequest and GSSENCRequest are answered")
    for code in (pgwire.SSL_REQUEST, pgwire.GSSENC_REQUEST):
        raw = pgwire.Connection("127.0.0.1", s.connection.port)
        raw.send(b"", int32(code))
        answer = raw.read_byte()
        s.lines.append(f"{answer in (b'N', b'S', b'G')}")
        if answer == b"N":      # a server that can encrypt waits for us to begin now
            raw.startup("postgres", "postgres")
            raw.rows("select 1")
        raw.sock.close()
    s.head("a newer minor version is negotiated")
    raw = pgwire.Connection("127.0.0.1", s.connection.port)
    raw.send(b"", int32(196609) + cstr("user") + cstr("postgres") + cstr("database") +
             cstr("postgres") + cstr("_pq_.nosuch") + cstr("1") + b"\0")
    message = raw.receive()
    s.lines.append(f"{message.type} {message.body!r}")
    raw.until_ready()
    raw.close()


def early_errors(s):
    """An error in a pipeline is told before its Sync, with a Flush or without."""
    c = s.connection
    for name, flush in (("a Flush", True), ("nothing", False)):
        s.head(f"an error, then {name}")
        c.parse("select 1 from nosuch_early")
        c.describe("S")
        if flush:
            c.flush()
        s.lines.append(c.receive().type)
        c.sync()
        s.lines += [m.type for m in c.until_ready()]


def cancel(s):
    s.head("cancel")
    s.connection.send(b"Q", cstr("select pg_sleep(20)"))
    s.connection.cancel()
    s.ready()
    s.simple("select 'alive'")
    s.connection.cancel()
    s.simple("select 'nothing to cancel'")


SCENARIOS = (startup, simple, types, inference, results, portals, statements, pipeline, copy, misuse,
             early_errors, cancel)


def run(port):
    """{scenario: lines}"""
    found = {}
    for scenario in SCENARIOS:
        connection = pgwire.connect(port=port)
        for table in ("pi", "pr", "pr2", "ps", "pp", "st", "pl", "cp"):
            connection.query(f"drop table if exists {table}")
        connection.notices.clear()
        state = Scenario(connection)
        try:
            scenario(state)
        except (pgwire.ConnectionLost, TimeoutError, OSError, struct.error, IndexError,
                pgwire.Error) as error:
            state.lines.append(f"ended: {type(error).__name__}: {error}")
        connection.sock.close()
        found[scenario.__name__] = state.lines
    return found


def blocks(lines):
    """Lines by what was sent: [(what, answer lines)]"""
    result = [("", [])]
    for line in lines:
        if line.startswith((">", "##")):
            result.append((line, []))
        else:
            result[-1][1].append(line)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="release")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.port:
        found = run(options.port)
    else:
        with postgres.Postgres() if options.postgres or options.write else \
                Server(options.build) as server:
            found = run(server.port)
    if options.write:
        EXPECTED.write_text("".join(f"# {name}\n" + "".join(line + "\n" for line in lines)
                                    for name, lines in found.items()), encoding="utf-8")
        return 0
    expected, name = {}, None
    for line in EXPECTED.read_text(encoding="utf-8").split("\n")[:-1]:
        if line.startswith("# "):
            name = line[2:]
            expected[name] = []
        else:
            expected[name].append(line)
    checks = Checks()
    for name, lines in found.items():
        ours, theirs = blocks(lines), blocks(expected[name])
        if [what for what, _ in ours] != [what for what, _ in theirs]:
            checks.check(f"{name}: goes to its end", False, "\n".join(lines[-5:]))
        for (what, want), (_, got) in zip(theirs, ours):
            difference = difflib.unified_diff(want, got, "expected", "got", lineterm="", n=1)
            checks.check(f"{name}: {what}", want == got, "\n" + "\n".join(list(difference)[2:]))
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
