#!/usr/bin/env python3
"""Who gets in: host rules and passwords, with libpq (psql) as the client.

    tests/system/access.py [release|debug]
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from server import ROOT, Server  # noqa: E402

PASSED = FAILED = 0


def check(what, fine, detail=""):
    global PASSED, FAILED
    if fine:
        PASSED += 1
    else:
        FAILED += 1
        print(f"FAILED: {what}: {detail}")


def psql(port, sql, user="postgres", password=None, host="127.0.0.1", options=""):
    environment = dict(os.environ, PGCONNECT_TIMEOUT="30", PGOPTIONS=options)
    environment.pop("PGPASSWORD", None)
    environment["PGPASSFILE"] = "/nonexistent"
    if password is not None:
        environment["PGPASSWORD"] = password
    run = subprocess.run(["psql", "-X", "-w", "-A", "-t", "-h", host, "-p", str(port), "-U", user, "-d", "postgres",
                          "-c", sql], capture_output=True, text=True, env=environment, timeout=120, check=False)
    return (run.stdout + run.stderr).strip()


def startup(port):
    client = socket.create_connection(("127.0.0.1", port), 30)
    body = struct.pack("!I", 196608) + b"user\0alice\0database\0postgres\0\0"
    client.sendall(struct.pack("!I", len(body) + 4) + body)
    return client


def answer(client):
    """The first message: its type and body."""
    data = b""
    while len(data) < 5 or len(data) < 1 + struct.unpack("!I", data[1:5])[0]:
        more = client.recv(4096)
        if not more:
            break
        data += more
    return data[:1], data[5:]


def sasl_message(data):
    return b"p" + struct.pack("!I", len(data) + 4) + data


def bad_messages(port):
    first = b"SCRAM-SHA-256\0"
    for what, message in (("no SCRAM", sasl_message(b"PLAIN\0" + struct.pack("!I", 0))),
                          ("no nonce", sasl_message(first + struct.pack("!I", 5) + b"n,,n=")),
                          ("binding", sasl_message(first + struct.pack("!I", 9) + b"p=x,,n=,r")),
                          ("size lies", sasl_message(first + struct.pack("!I", 0x7fffffff) + b"n,,n=,r=abc")),
                          ("too long", b"p" + struct.pack("!I", 100000)),
                          ("not p", b"Q" + struct.pack("!I", 8) + b"abc\0"),
                          ("length 3", b"p" + struct.pack("!I", 3))):
        client = startup(port)
        kind, body = answer(client)
        check(f"{what}: asked for SASL", kind == b"R" and b"SCRAM-SHA-256" in body, body)
        client.sendall(message)
        kind, body = answer(client)
        check(f"{what}: refused", kind == b"E" and b"08P01" in body, body)
        client.close()
    client = startup(port)
    answer(client)
    client.sendall(sasl_message(first + struct.pack("!I", 11) + b"n,,n=,r=abc"))
    kind, body = answer(client)
    check("server-first", kind == b"R" and b"r=abc" in body, body)
    nonce = body[4:].split(b",")[0][2:]
    for final in (b"c=biws,r=abc,p=AAAA", b"c=biws,r=" + nonce, b"c=biws,r=" + nonce + b",p=!!!!"):
        client = startup(port)
        answer(client)
        client.sendall(sasl_message(first + struct.pack("!I", 11) + b"n,,n=,r=abc"))
        answer(client)
        client.sendall(sasl_message(final))
        kind, body = answer(client)
        check(f"final {final[:12]}", kind == b"E" and (b"08P01" in body), body)
        client.close()


def password_file(build, port, folder):
    """The shell's, as libpq's; of alice, whose password is "new"."""
    def run(lines, mode=0o600, path="pgpass", program=None, **more):
        name = os.path.join(folder, path)
        with open(name, "w") as file:
            file.write(lines)
        os.chmod(name, mode)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment.update({"HOME": folder, **more})
        tusk = os.path.join(ROOT, "build", build, "tusk")
        got = subprocess.run([program or tusk, "-X", "-A", "-t", "-h", "127.0.0.1", "-p", str(port), "-U", "alice", "-d",
                              "postgres", "-c", "select current_user"], capture_output=True, text=True, env=environment,
                             stdin=subprocess.DEVNULL, start_new_session=True, timeout=120, check=False)
        return (got.stdout + got.stderr).strip()

    named = {"PGPASSFILE": os.path.join(folder, "pgpass")}
    right = f"# a comment\nother:*:*:*:x\n127.0.0.1:{port}:postgres:bob:x\n127.0.0.1:{port}:postgres:alice:new\n*:*:*:*:x\n"
    for program in (None, "psql"):
        for what, found in (("PGPASSFILE", run(right, program=program, **named)),
                            ("~/.pgpass", run(right, path=".pgpass", program=program))):
            check(f"{what}, {program}", found == "alice", found)
        os.remove(os.path.join(folder, ".pgpass"))
        found = run(right, 0o644, program=program, **named)
        check(f"others may read it, {program}", "has group or world access" in found and "alice" not in found.split("\n"), found)
        found = run("*:*:*:*:new", program=program, PGPASSWORD="wrong", **named)
        check(f"PGPASSWORD comes first, {program}", "authentication failed" in found, found)
        found = run("*:1:*:*:new", program=program, **named)
        check(f"no line for it, {program}", "alice" not in found.split("\n") and "password" in found, found)
        found = run("*:*:*:*:wrong", program=program, **named)
        check(f"a wrong one, {program}", "authentication failed" in found, found)


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    server = Server(build)
    server.start()
    try:
        port = server.port
        data = os.path.join(server.directory, "data")
        rules = os.path.join(data, "tusk_hba.conf")
        check("default rules", "127.0.0.0/8  trust" in open(rules).read())
        check("trusted", psql(port, "select 1") == "1")
        psql(port, "create role alice login password 'wonder land'; create role bob login; "
                   "create role carl login password 'x' valid until '2001-01-01'; create role nologin password 'x'; "
                   "create role dora login password 'x' connection limit 0; create role eve login superuser password 'x'")
        check("alice trusted", psql(port, "select current_user", "alice") == "alice")
        check("no login", 'role "nologin" is not permitted to log in' in psql(port, "select 1", "nologin"))
        check("limit", 'too many connections for role "dora"' in psql(port, "select 1", "dora"))
        check("role option", "permission denied to set role" in psql(port, "select 1", "alice", options="-c role=postgres"))
        psql(port, "alter role alice set work_mem = '9MB'; alter role alice in database postgres set work_mem = '10MB'")
        check("settings", psql(port, "show work_mem", "alice") == "10MB")
        psql(port, "revoke connect on database postgres from public")
        check("connect", 'permission denied for database "postgres"' in psql(port, "select 1", "alice"))
        psql(port, "grant connect on database postgres to public")

        with open(rules, "w") as file:
            file.write("host all postgres 127.0.0.1 trust # us\nhost all bad all reject\n"
                       "host postgres,other all 127.0.0.0/8 scram-sha-256\n")
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 30
        while "password" not in psql(port, "select 1", "alice") and time.monotonic() < end:
            time.sleep(0.05)
        check("password", psql(port, "select current_user", "alice", "wonder land") == "alice")
        for user, password in (("alice", "wonderland"), ("alice", ""), ("bob", "x"), ("carl", "x"), ("nobody", "x")):
            words = psql(port, "select 1", user, password)
            check(f"{user}, wrong password", "password authentication failed" in words or "empty password" in words
                  or "no password supplied" in words, words)
        check("still trusted", psql(port, "select 1") == "1")
        check("rejected", "rejects connection" in psql(port, "select 1", "bad"))
        psql(port, "alter role alice password 'new'")
        check("old password", "authentication failed" in psql(port, "select 1", "alice", "wonder land"))
        check("new password", psql(port, "select 1", "alice", "new") == "1")
        with tempfile.TemporaryDirectory() as folder:
            password_file(build, port, folder)
        kept = psql(port, "select rolpassword from pg_authid where rolname = 'alice'")
        psql(port, f"alter role bob password '{kept}'")
        check("kept verifier", psql(port, "select 1", "bob", "new") == "1")
        psql(port, "alter role bob password null")
        check("no password", "authentication failed" in psql(port, "select 1", "bob", "new"))
        check("superuser with password", psql(port, "select rolname from pg_authid limit 1", "eve", "x") != "")
        bad_messages(port)
        with open(rules, "a") as file:
            file.write("hostile all all all trust\n")
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 30
        while "host rules not changed" not in server.tail(50) and time.monotonic() < end:
            time.sleep(0.05)
        check("bad rules are refused", "line 4 of" in server.tail(50), server.tail(5))
        check("old rules stay", psql(port, "select 1", "alice", "new") == "1")
        server.stop()
        check("bad rules end the start", fails_to_start(server))
        with open(rules, "w") as file:
            file.write("host all alice 127.0.0.1/32 scram-sha-256\n")
        server.start()
        check("after a restart", psql(server.port, "select 1", "alice", "new") == "1")
        check("no rule", "no tusk_hba.conf entry" in psql(server.port, "select 1", "bob", "new"))
    finally:
        server.__exit__(None, None, None)
    print(f"{PASSED} passed, {FAILED} failed")
    sys.exit(FAILED != 0)


def fails_to_start(server):
    try:
        server.start()
    except RuntimeError as error:
        return "tusk_hba.conf" in str(error)
    return False


if __name__ == "__main__":
    main()
