#!/usr/bin/env python3
"""Encrypted connections: who may use them, with what; drivers; what should not be sent.

    tests/system/tls.py [release|debug]
"""
import os
import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from certificates import Authority
from server import ROOT, Checks, Server

SSL_REQUEST = struct.pack("!II", 8, pgwire.SSL_REQUEST)
BUILD = sys.argv[1] if len(sys.argv) > 1 else "release"
checks = Checks()


def psql(port, sql, password=None, host="localhost", shell=False, **options):
    """Its output and errors. options: libpq's, sslmode and so on; shell: by tusk instead."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment.update(PGCONNECT_TIMEOUT="30", PGPASSFILE="/nonexistent", HOME="/nonexistent")
    if password is not None:
        environment["PGPASSWORD"] = password
    options = {"host": host, "port": port, "user": "postgres", "dbname": "postgres", **options}
    program = os.path.join(ROOT, "build", BUILD, "tusk") if shell else "psql"
    run = subprocess.run([program, "-X", "-w", "-A", "-t", "-c", sql, "-d",
                          " ".join(f"{name}={value}" for name, value in options.items())],
                         capture_output=True, text=True, env=environment, timeout=120, check=False)
    return (run.stdout + run.stderr).strip()


def wait_for(what, holds, seconds=30):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    checks.check(what, holds())


def context(authority=None, certificate=None, **attributes):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if authority is not None:
        made.load_verify_locations(authority)
        made.verify_mode = ssl.CERT_REQUIRED
    if certificate is not None:
        made.load_cert_chain(*certificate)
    for name, value in attributes.items():
        with warnings.catch_warnings(): # of old versions
            warnings.simplefilter("ignore")
            setattr(made, name, value)
    return made


def with_settings(directory, **settings):
    return Server(BUILD, [word for name, value in settings.items()
                          for word in ("-c", f"{name}={value}")], directory)


def fails_to_start(directory, words, **settings):
    server = with_settings(directory, **settings)
    try:
        server.start()
        server.kill()
        checks.check(f"a start fails: {words}", False)
    except RuntimeError as error:
        checks.check(f"a start fails: {words}", words in str(error) and "FATAL" in str(error),
                     str(error)[-500:])


def bad_files(folder, certificate, key, other_key):
    data = os.path.join(folder, "bad")
    os.makedirs(data)
    open_key = os.path.join(folder, "open.key")
    shutil.copy(key, open_key)
    os.chmod(open_key, 0o640 if os.geteuid() else 0o644)
    no_key = os.path.join(folder, "no.key")
    shutil.copy(certificate, no_key)
    os.chmod(no_key, 0o600)
    empty = os.path.join(folder, "empty")
    open(empty, "w", encoding="utf-8").close()
    fine = {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
    for words, change in (
            ("No such file", {"ssl_cert_file": "server.crt"}),
            ("No such file", {"ssl_key_file": "/nowhere.key"}),
            ("has group or world access", {"ssl_key_file": open_key}),
            ("key values mismatch", {"ssl_key_file": other_key}),
            ("it is empty", {"ssl_cert_file": empty}),
            ("could not load server certificate file", {"ssl_cert_file": key}),
            ("could not load private key file", {"ssl_key_file": no_key}),
            ("could not load root certificate file", {"ssl_ca_file": key}),
            ("TLS versions", {"ssl_min_protocol_version": "TLSv1.3",
                              "ssl_max_protocol_version": "TLSv1.2"}),
            ("could not set the list of ciphers", {"ssl_ciphers": "nonsense"})):
        fails_to_start(data, words, **{**fine, **change})


def modes(port, authority, stranger):
    for shell in (False, True):
        name = "tusk" if shell else "psql"
        query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"

        def ask(wanted, **options):
            answer = psql(port, query, shell=shell, **options)
            what = " ".join(f"{key}={os.path.basename(str(value))}" for key, value in options.items())
            checks.check(f"{name} {what}", wanted in answer if len(wanted) > 1 else answer == wanted,
                         answer)

        ask("f", sslmode="disable")
        ask("f", sslmode="allow")
        ask("t", sslmode="prefer")
        ask("t", sslmode="require")
        ask("t", sslmode="verify-ca", sslrootcert=authority.certificate)
        ask("t", sslmode="verify-full", sslrootcert=authority.certificate)
        ask("t", sslmode="verify-full", sslrootcert=authority.certificate, host="127.0.0.1")
        ask("certificate verify failed", sslmode="verify-ca", sslrootcert=stranger.certificate)
        ask("certificate verify failed", sslmode="require", sslrootcert=stranger.certificate)
        ask("does not exist", sslmode="verify-full", sslrootcert="/nowhere")
        ask("127.0.0.2", sslmode="verify-full", sslrootcert=authority.certificate, host="127.0.0.2")


def versions(port):
    for version, wanted in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True),
                            (ssl.TLSVersion.TLSv1_1, False)):
        old = context(minimum_version=version, maximum_version=version)
        old.set_ciphers("ALL:@SECLEVEL=0")
        try:
            with pgwire.connect(port=port, tls=old) as db:
                got = db.rows("select version from pg_stat_ssl where pid = pg_backend_pid()")[0][0]
                checks.check(f"{version.name}", wanted and got == version.name.replace("_", ".").replace(
                    "TLSv1.", "TLSv1."), got)
        except pgwire.ConnectionLost:
            checks.check(f"{version.name} refused", not wanted)


def carry(port):
    """Large things both ways, a notification while idle, a cancel, several workers."""
    tls = context()
    with pgwire.connect(port=port, tls=tls) as db, pgwire.connect(port=port, tls=tls) as other:
        got = db.rows("select repeat('x', 1000000) || g from generate_series(1, 20) g")
        checks.check("rows of a megabyte", [len(row[0]) for row in got] ==
                     [1000000 + len(str(i)) for i in range(1, 21)])
        data = b"".join(b"%d\t%s\n" % (i, b"y" * (i % 3000)) for i in range(3000))
        db.query("create table carried (id int primary key, t text)")
        db.copy_in("copy carried from stdin", data)
        checks.check("COPY in and out", db.copy_out("copy carried to stdout") == data)
        big = "z" * 3000000
        checks.check("a parameter of 3 MB", db.execute("select length($1::text)", [big]).rows ==
                     [("3000000",)])
        db.query("listen news")
        other.query("notify news, 'hot'")
        message = db.receive()
        checks.check("a notification while idle", message.type == "A" and b"hot" in message.body)
        db.send(b"Q", pgwire.cstr("select pg_sleep(60)"))
        time.sleep(0.2)
        start = time.monotonic()
        db.cancel()
        try:
            db.collect()
            checks.check("cancel over TLS", False)
        except pgwire.Error as error:
            checks.check("cancel over TLS", error.sqlstate == "57014" and
                         time.monotonic() - start < 20, error.sqlstate)
        crowd = [pgwire.connect(port=port, tls=tls) for _ in range(40)]
        answers = [one.rows("select 1") for one in crowd]
        checks.check("forty at once", answers == [[("1",)]] * 40)
        for one in crowd:
            one.close()
        # Byte for byte: a record arrives in pieces.
        raw = socket.create_connection(("127.0.0.1", port), 30)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.sendall(SSL_REQUEST)
        checks.check("S", raw.recv(1) == b"S")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        stream = tls.wrap_bio(incoming, outgoing)

        def pump(step, *words):
            while True:
                try:
                    done = step(*words)
                except ssl.SSLWantReadError:
                    done = None
                for byte in outgoing.read():
                    raw.sendall(bytes([byte]))
                if done is not None or step == stream.do_handshake and stream.version():
                    return done
                incoming.write(raw.recv(65536))

        pump(stream.do_handshake)
        body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
        pump(stream.write, struct.pack("!I", len(body) + 4) + body)
        answer = pump(stream.read, 65536)
        checks.check("byte by byte", answer[:1] == b"R", answer)
        raw.close()


def rules(server, authority, stranger):
    """hostssl, hostnossl, certificates, channel binding."""
    port = server.port
    path = os.path.join(server.directory, "data", "tusk_hba.conf")
    alice, mallory, carl = (authority.issue("alice", "alice"), stranger.issue("mallory", "alice"),
                            authority.issue("carl", "carl"))
    psql(port, "create role alice login password 'wonder'; create role bob login password 'x'; "
               "create role carl login; create role eve login; create role dora login password 'y'", sslmode="disable")
    with open(path, "w", encoding="utf-8") as file:
        file.write("hostnossl all postgres,eve 127.0.0.0/8 trust\n"
                   "hostssl all postgres 127.0.0.0/8 trust\n"
                   "hostssl all alice,carl 127.0.0.0/8 cert\n"
                   "hostssl all bob 127.0.0.0/8 scram-sha-256\n"
                   "hostssl all dora 127.0.0.0/8 scram-sha-256 clientcert=verify-ca\n")
    server.process.send_signal(signal.SIGHUP)
    wait_for("the rules count", lambda: "no tusk_hba.conf entry" in
             psql(port, "select 1", user="bob", sslmode="disable"))
    for shell in (False, True):
        name = "tusk: " if shell else ""

        def ask(what, wanted, password=None, certificate=None, **options):
            if certificate:
                options.update(sslcert=certificate[0], sslkey=certificate[1])
            answer = psql(port, "select current_user", password, shell=shell,
                          **{"sslmode": "require", **options})
            checks.check(f"{name}{what}", wanted in answer, answer)

        ask("hostssl refuses plain connections", "no encryption", user="alice", sslmode="disable")
        ask("cert", "alice", certificate=alice, user="alice")
        ask("allow goes over to TLS", "alice", certificate=alice, user="alice", sslmode="allow")
        ask("allow with a password", "bob", "x", user="bob", sslmode="allow")
        ask("allow, wrong password", "password authentication failed", "wrong", user="bob", sslmode="allow")
        ask("prefer goes back to plain", "eve", user="eve", sslmode="prefer")
        ask("require does not", "no tusk_hba.conf entry", user="eve", sslmode="require")
        ask("cert: none", "requires a valid client certificate", user="alice")
        ask("cert: another's", 'certificate authentication failed for user "alice"',
            certificate=carl, user="alice")
        ask("cert: a stranger's", "SSL", certificate=mallory, user="alice")
        ask("hostssl with a password", "bob", "x", user="bob")
        ask("wrong password", "password authentication failed", "wrong", user="bob")
        if not shell:
            ask("channel binding", "bob", "x", user="bob", channel_binding="require")
            ask("no channel binding", "bob", "x", user="bob", channel_binding="disable")
        ask("clientcert and password", "dora", "y", certificate=carl, user="dora")
        ask("clientcert, no certificate", "requires a valid client certificate", "y", user="dora")
        ask("clientcert, wrong password", "password authentication failed", "n", certificate=carl,
            user="dora")
    names = psql(port, "select client_dn, issuer_dn, client_serial > 0 from pg_stat_ssl "
                       "where pid = pg_backend_pid()", user="alice", sslmode="require",
                 sslcert=alice[0], sslkey=alice[1])
    checks.check("pg_stat_ssl", names == "/O=Tusk/CN=alice|/CN=Tusk ca|t", names)
    for number, (line, words) in enumerate((("host all all all cert", "hostssl only"),
                        ("host all all all trust clientcert=verify-ca", "hostssl only"),
                        ("hostssl all all all trust clientcert=maybe", "another option"),
                        ("hostssl all all all md5", "another method")), 1):
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
        server.process.send_signal(signal.SIGHUP)
        wait_for(f"refused: {line}", lambda: words in server.tail(4) and
                 server.tail(1000).count("host rules not changed") == number)
        with open(path, encoding="utf-8") as file:
            lines = file.readlines()[:-1]
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(lines)


def binding_misused(port):
    """What a client may not say of channel binding."""
    def first(mechanism, message, tls):
        body = struct.pack("!I", 196608) + b"user\0bob\0database\0postgres\0\0"
        db = pgwire.Connection("127.0.0.1", port, tls=tls)
        db.send(b"", body)
        offer = db.receive().body
        db.send(b"p", pgwire.cstr(mechanism) + pgwire.int32(len(message)) + message)
        try:
            answer = db.receive()
        except pgwire.ConnectionLost as error:
            answer = pgwire.Message("lost", str(error).encode())
        db.sock.close()
        return offer, answer

    tls = context()
    head = b"p=tls-server-end-point,,"
    for what, mechanism, message, code in (
            ("y where it was offered", "SCRAM-SHA-256", b"y,,n=,r=abc", "28000"),
            ("plus without binding", "SCRAM-SHA-256-PLUS", b"n,,n=,r=abc", "08P01"),
            ("binding without plus", "SCRAM-SHA-256", head + b"n=,r=abc", "08P01"),
            ("another binding", "SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=,r=abc", "08P01"),
            ("half a head", "SCRAM-SHA-256-PLUS", b"p=tls-server", "08P01")):
        offer, answer = first(mechanism, message, tls)
        checks.check(f"{what}: offered", b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0" in offer, offer)
        checks.check(f"{what}: refused", answer.type == "E" and code.encode() in answer.body, answer)
    # The right words, and another channel's hash.
    db = pgwire.Connection("127.0.0.1", port, tls=tls)
    db.send(b"", struct.pack("!I", 196608) + b"user\0bob\0database\0postgres\0\0")
    db.receive()
    message = head + b"n=,r=abc"
    db.send(b"p", pgwire.cstr("SCRAM-SHA-256-PLUS") + pgwire.int32(len(message)) + message)
    nonce = db.receive().body[4:].split(b",")[0][2:]
    import base64
    db.send(b"p", b"c=" + base64.b64encode(head + bytes(32)) + b",r=" + nonce + b",p=" +
            base64.b64encode(bytes(32)))
    answer = db.receive()
    checks.check("another channel's hash", answer.type == "E" and b"08P01" in answer.body, answer)
    db.sock.close()


def reload(server, authority, certificate, key):
    """A new certificate counts for new connections; a bad one for none."""
    port = server.port
    old = pgwire.connect(port=port, tls=context())

    def serial():
        with socket.create_connection(("127.0.0.1", port), 30) as raw:
            raw.sendall(SSL_REQUEST)
            raw.recv(1)
            with context().wrap_socket(raw) as stream:
                return hash(stream.getpeercert(binary_form=True))

    before = serial()
    new_certificate, new_key = authority.issue("server2", "localhost", "DNS:localhost", rsa=True)
    shutil.copy(new_certificate, certificate)
    server.process.send_signal(signal.SIGHUP) # between the two: certificate and key do not fit
    wait_for("a key that does not fit is refused", lambda: "TLS not changed" in server.tail(5))
    checks.check("the old certificate stays", serial() == before)
    shutil.copy(new_key, key)
    server.process.send_signal(signal.SIGHUP)
    wait_for("the new certificate", lambda: serial() != before)
    checks.check("the old connection lives", old.rows("select 1") == [("1",)])
    old.close()
    checks.check("an RSA certificate", psql(
        port, "select 1", sslmode="verify-full", sslrootcert=authority.certificate) == "1")
    checks.check("channel binding, RSA", psql(
        port, "select 1", "x", user="bob", sslmode="require", channel_binding="require") == "1")
    psql(port, "alter system set ssl = off", sslmode="disable")
    psql(port, "select pg_reload_conf()", sslmode="disable")


def hostile(server):
    """Bytes that are no TLS, broken TLS, and TLS around what no client should send."""
    port = server.port
    chance = random.Random(11)

    def send(data, wait=True):
        with socket.create_connection(("127.0.0.1", port), 10) as raw:
            raw.settimeout(5)
            try:
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
                while wait and raw.recv(65536):
                    pass
            except OSError:
                pass

    hello = ssl.MemoryBIO()
    stream = context().wrap_bio(ssl.MemoryBIO(), hello)
    try:
        stream.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = hello.read()
    send(SSL_REQUEST)
    send(SSL_REQUEST + hello) # in one go: an injection in front of the encryption
    send(SSL_REQUEST * 2)
    for _ in range(150):
        broken = bytearray(hello)
        for _ in range(chance.randrange(1, 8)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        broken = broken[:chance.choice([len(broken), chance.randrange(len(broken))])]
        with socket.create_connection(("127.0.0.1", port), 10) as raw:
            raw.settimeout(5)
            try:
                raw.sendall(SSL_REQUEST)
                raw.recv(1)
                raw.sendall(broken)
                raw.shutdown(socket.SHUT_WR)
                raw.recv(65536)
            except OSError:
                pass
    checks.check("alive after broken handshakes", server.alive())
    body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
    start = struct.pack("!I", len(body) + 4) + body
    for what, data in (("garbage", bytes(chance.randrange(256) for _ in range(3000))),
                       ("TLS in TLS", SSL_REQUEST),
                       ("GSS in TLS", struct.pack("!II", 8, pgwire.GSSENC_REQUEST)),
                       ("a cancel of nobody", struct.pack("!IIII", 16, pgwire.CANCEL_REQUEST, 1, 2)),
                       ("large promise", start + b"Q" + struct.pack("!I", 0x3FFFFFF0) + b"x" * 1000),
                       ("unknown message", start + b"@" + struct.pack("!I", 4)),
                       ("nothing", b"")):
        try:
            db = pgwire.Connection("127.0.0.1", port, tls=context())
            db.send_bytes(data)
            db.sock.unwrap() if not data else None
            db.sock.settimeout(2)
            while db.sock.recv(65536):
                pass
        except (OSError, pgwire.ConnectionLost):
            pass
        db.sock.close()
        checks.check(f"alive after {what} over TLS", server.alive())
    for round_number in range(60): # records are turned over amid a session
        db = pgwire.connect(port=port, tls=context())
        raw = socket.socket(fileno=os.dup(db.sock.fileno()))
        db.send(b"Q", pgwire.cstr("select repeat('x', 100000)"))
        junk = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 200)))
        if round_number % 2:
            junk = b"\x17\x03\x03" + struct.pack("!H", len(junk)) + junk
        raw.sendall(junk)
        raw.close()
        db.sock.close()
    checks.check("alive after broken records", server.alive())
    half = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(20)]
    for one in half:
        one.sendall(SSL_REQUEST)
        one.recv(1)
        one.sendall(hello[:50])
    checks.check("half a handshake holds nobody up",
                 psql(port, "select 1", sslmode="require") == "1")
    for one in half:
        one.close()
    # Who does not read does not hold up the server's end.
    deaf = pgwire.connect(port=port, tls=context())
    deaf.send(b"Q", pgwire.cstr("select repeat('x', 1000000) from generate_series(1, 100)"))
    time.sleep(0.3)
    return deaf


def drivers(port, authority):
    """Each with its own TLS: libpq's, Java's, node's, Python's."""
    environment = {**os.environ, "PGHOST": "localhost", "PGPORT": str(port), "PGUSER": "postgres",
                   "PGDATABASE": "postgres", "PGSSLMODE": "verify-full",
                   "PGSSLROOTCERT": authority.certificate}
    query = "select version from pg_stat_ssl where pid = pg_backend_pid()"
    programs = {
        "psycopg2": ["/usr/bin/python3", "-c", f"""
import psycopg2
db = psycopg2.connect("")
cursor = db.cursor()
cursor.execute("{query}")
print(cursor.fetchone()[0])"""],
        "asyncpg": ["/usr/bin/python3", "-c", f"""
import asyncio, asyncpg, os, ssl
async def main():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    db = await asyncpg.connect(host="localhost", ssl=context)
    print(await db.fetchval("{query}"))
    await db.close()
asyncio.run(main())"""],
    }
    folder = tempfile.mkdtemp(prefix="tusk_tls_java_")
    jar = "/usr/share/java/postgresql.jar"
    if shutil.which("javac") and os.path.exists(jar):
        with open(os.path.join(folder, "Tls.java"), "w", encoding="utf-8") as file:
            file.write(f"""
public class Tls {{
    public static void main(String[] words) throws Exception {{
        try (java.sql.Connection db = java.sql.DriverManager.getConnection(
                "jdbc:postgresql://localhost:{port}/postgres?user=postgres&ssl=true&sslmode=verify-full"
                + "&sslrootcert={authority.certificate}")) {{
            java.sql.ResultSet rows = db.createStatement().executeQuery("{query}");
            rows.next();
            System.out.println(rows.getString(1));
        }}
    }}
}}""")
        subprocess.run(["javac", "-d", folder, os.path.join(folder, "Tls.java")], check=True)
        programs["JDBC"] = ["java", "-cp", f"{jar}:{folder}", "Tls"]
    for name, command in programs.items():
        run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120,
                             check=False)
        if "No module named" in run.stderr:
            print(f"{name}: not installed here: not run")
            continue
        checks.check(f"{name} over TLS", run.stdout.strip() == "TLSv1.3",
                     run.stdout + run.stderr[-500:])
    shutil.rmtree(folder)


def main():
    folder = tempfile.mkdtemp(prefix="tusk_tls_")
    try:
        authority, stranger = Authority(folder), Authority(os.path.join(folder, "strange"), "stranger")
        issued = authority.issue("server", "localhost", "DNS:localhost,IP:127.0.0.1")
        client = authority.issue("client", "postgres")
        bad_files(folder, *issued, client[1])
        server = Server(BUILD)
        data = os.path.join(server.directory, "data")
        server.arguments = ["-c", f"ssl_ca_file={authority.certificate}"]
        server.start()
        # On while it runs: files in the data directory, by their usual names.
        port = server.port
        checks.check("off at first", psql(port, "select ssl from pg_stat_ssl") == "f")
        checks.check("refused when off", "does not support SSL" in
                     psql(port, "select 1", sslmode="require"))
        checks.check("tusk: refused when off", "does not support SSL" in
                     psql(port, "select 1", sslmode="require", shell=True))
        certificate, key = (os.path.join(data, name) for name in ("server.crt", "server.key"))
        shutil.copy(issued[0], certificate)
        shutil.copy(issued[1], key)
        psql(port, "alter system set ssl = on")
        psql(port, "select pg_reload_conf()")
        wait_for("on", lambda: psql(port, "select 1", sslmode="require") == "1")
        try:
            modes(port, authority, stranger)
            versions(port)
            carry(port)
            drivers(port, authority)
            rules(server, authority, stranger)
            binding_misused(port)
            reload(server, authority, certificate, key)
            wait_for("off again", lambda: "does not support SSL" in
                     psql(port, "select 1", sslmode="require"))
            psql(port, "alter system reset ssl; ", sslmode="disable")
            psql(port, "alter system set ssl = on", sslmode="disable")
            psql(port, "select pg_reload_conf()", sslmode="disable")
            wait_for("on again", lambda: psql(port, "select 1", sslmode="require") == "1")
            deaf = hostile(server)
            start = time.monotonic()
            checks.check("it ends", server.stop(signal.SIGINT) == 0 and time.monotonic() - start < 60)
            deaf.sock.close()
        finally:
            server.__exit__(None, None, None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
