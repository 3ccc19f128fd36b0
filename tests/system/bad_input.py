#!/usr/bin/env python3
"""What clients should not send: each gets the SQLSTATE PostgreSQL gives, or a closed connection;
the server lives."""
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

STATEMENTS = [
    ("select " + "(" * 500000 + "1" + ")" * 500000, "54001"),
    ("select '" + "x", "42601"),
    ("select 2147483647 + 1", "22003"),
    ("select 9223372036854775807 + 1", "22003"),
    ("select 1/0", "22012"),
    ("select 1.5/0", "22012"),
    ("select 1e400::float8", "22003"),
    ("select '12x'::int", "22P02"),
    ("select 99999999999999999999::int", "22003"),
    ("selec 1", "42601"),
    ("select * from nothing_here", "42P01"),
    ("select nothing_here", "42703"),
    ("select $1", "42P02"),
    ("select 5 + $1", "42P02"),
    ("update pg_class set relname = $1 where oid != $2", None),
    ("select * from generate_series(1, $1)", "42P02"),
    ("create table params (id int primary key, v int); update params set v = v + 1 where id != $1",
     "42P02"),
    ("create table params (id int primary key, v int); delete from params where id = $1", "42P02"),
    ("create table params (id int primary key, v int); insert into params values ($1, $2)", "42P02"),
    ("explain select $1", "42P02"),
    ("copy (select $1) to stdout", "42P02"),
    ("select nofunction(1)", "42883"),
    ("select 'a' + 1", "22P02"),
    ("select repeat('x', 2000000000)", "54000"),
    ("insert into pg_class values (1)", None),
    ("commit prepared 'x'", "0A000"),
]


def send_raw(port, data, read=True):
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.settimeout(5)
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while read:
                part = sock.recv(65536)
                if not part:
                    break
                answer += part
            return answer
        except OSError:
            return b""


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    chance = random.Random(7)
    with Server(build) as server:
        connection = pgwire.connect(port=server.port)
        for text, sqlstate in STATEMENTS:
            try:
                connection.rows(text)
                checks.check(f"{text[:40]} fails", False)
            except pgwire.Error as error:
                checks.check(f"{text[:40]} is {sqlstate}",
                             sqlstate is None or error.sqlstate == sqlstate, str(error)[:200])
            if connection.status == "T" or connection.status == "E":
                connection.rows("rollback")
        connection.send(b"Q", b"select '\xff\xfe'\0")
        try:
            connection.collect()
            checks.check("invalid UTF-8 fails", False)
        except pgwire.Error as error:
            checks.check("invalid UTF-8 is 22021", error.sqlstate == "22021", str(error))
        connection.send(b"Q", b"no terminator")
        try:
            connection.collect()
            checks.check("a query without its NUL fails", False)
        except pgwire.Error as error:
            checks.check("a query without its NUL is 08P01", error.sqlstate == "08P01", str(error))
        checks.check("still usable", connection.rows("select 1") == [("1",)])

        startup = struct.pack("!II", 8, 196608)
        raw = {
            "garbage": bytes(chance.randrange(256) for _ in range(5000)),
            "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "huge startup length": struct.pack("!I", 0x7FFFFFFF) + b"x" * 100,
            "tiny startup length": struct.pack("!I", 3),
            "truncated startup": struct.pack("!II", 100, 196608) + b"user\0",
            "no user": startup + b"\0",
            "protocol 2": struct.pack("!II", 8, 131072),
            "protocol 4": struct.pack("!II", 8, 262144),
            "bad cancel": struct.pack("!II", 9, 80877102) + b"x",
            "ssl twice": struct.pack("!II", 8, 80877103) * 2,
            "nothing": b"",
        }
        for name, data in raw.items():
            send_raw(server.port, data)
            checks.check(f"alive after {name}", server.alive())
        body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
        hello = struct.pack("!I", len(body) + 4) + body
        for name, data in {
            "huge message length": b"Q" + struct.pack("!I", 0xFFFFFFFF),
            "short message length": b"Q" + struct.pack("!I", 2),
            "unknown message": b"@" + struct.pack("!I", 4),
            "bind garbage": b"B" + struct.pack("!I", 20) + b"\xff" * 16,
            "execute nothing": b"E" + struct.pack("!I", 9) + b"x\0\0\0\0"[:5],
            "large promise": b"Q" + struct.pack("!I", 0x3FFFFFF0) + b"x" * 1000,
            "copy data alone": b"d" + struct.pack("!I", 8) + b"abcd",
        }.items():
            send_raw(server.port, hello + data)
            checks.check(f"alive after {name}", server.alive())
        for _ in range(300):
            size = chance.randrange(1, 60)
            junk = bytes([chance.choice(b"QPBDECSHXFdcf")]) + struct.pack(
                "!I", chance.choice([4, size + 4, size + 4, 65536]))
            junk += bytes(chance.randrange(256) for _ in range(size))
            send_raw(server.port, hello + junk, read=False)
        checks.check("alive after random messages", server.alive())
        checks.check("old connection still works", connection.rows("select 2") == [("2",)])
        connection.close()
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
