#!/usr/bin/env python3
"""Settings of the server: tusk.conf, ALTER SYSTEM, SIGHUP, the command line; what the log says."""
import os
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server


def fails(connection, text):
    try:
        connection.query(text)
        return None
    except pgwire.Error as error:
        return error.sqlstate


def wait_for(server, pattern, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if re.search(pattern, server.tail(1000)):
            return True
        time.sleep(0.02)
    return False


def refused(server, text):
    """How tuskd ends with this tusk.conf."""
    path = os.path.join(server.directory, "data", "tusk.conf")
    with open(path, encoding="utf-8") as file:
        before = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    run = subprocess.run([server.binary, "--data", os.path.join(server.directory, "data")],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                         check=False)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before)
    return run.returncode, run.stderr


def http(port, request):
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(request)
        answer = b""
        while True:
            part = sock.recv(65536)
            if not part:
                return answer.decode()
            answer += part


def metrics(checks, server):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    server.arguments += ["-c", f"metrics_port={port}"]
    server.start()
    c = pgwire.connect(port=server.port)
    c.query("create table m (a int primary key)")
    c.query("insert into m values (1); insert into m values (2)")
    for _ in range(5):
        c.query("select * from m")
    c.execute("update m set a = a + $1", ["10"])
    c.query("select pg_sleep(0.05)")
    text = http(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    value = lambda name: float(re.search("\n" + re.escape(name) + r" (\S+)\n", text).group(1))
    checks.check("metrics: HTTP", text.startswith("HTTP/1.1 200 OK\r\n"), text[:100])
    for name, wanted in [('tusk_statements_total{class="select"}', 6), ("tusk_sessions", 1),
                         ('tusk_statements_total{class="insert"}', 2),
                         ('tusk_statements_total{class="update"}', 1),
                         ('tusk_statements_total{class="ddl"}', 1),
                         ('tusk_query_seconds_count{class="select"}', 6),
                         ("tusk_snapshots_given_up_total", 0), ("tusk_checkpoint_running", 0),
                         ('tusk_query_seconds_count{class="insert"}', 1)]:
        checks.check(f"metrics: {name}", value(name) == wanted, str(value(name)))
    cached = value("tusk_cached_pages")
    checks.check("metrics: pages in memory", 10 < cached < value("tusk_cached_pages_max"), cached)
    slowest = value('tusk_query_seconds{class="select",quantile="0.999"}')
    checks.check("metrics: p999 is the slow one", 0.05 <= slowest < 5, str(slowest))
    half = value('tusk_query_seconds{class="select",quantile="0.5"}')
    checks.check("metrics: p50 is a fast one", 0 < half < slowest, str(half))
    for line in text.split("\r\n\r\n")[1].split("\n"):
        fine = line == "" or line.startswith("# ") or re.fullmatch(
            r'tusk_\w+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.]+', line)
        if not fine:
            checks.check("metrics: a line's form", False, line)
    checks.check("metrics: 404", http(port, b"GET / HTTP/1.0\r\n\r\n").startswith("HTTP/1.1 404"))
    checks.check("metrics: 405", http(port, b"POST /metrics\n\n").startswith("HTTP/1.1 405"))
    checks.check("metrics: too much", http(port, b"x" * 8191) == "")
    with socket.create_connection(("127.0.0.1", port), 20): # says nothing
        status = server.stop(signal.SIGTERM, 30)
    checks.check("metrics: ends with the server", status == 0, str(status))
    server.arguments = server.arguments[:-2]


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    with Server(build, ["-c", "work_mem=6MB"]) as server:
        data = os.path.join(server.directory, "data")
        conf = os.path.join(data, "tusk.conf")
        with open(conf, encoding="utf-8") as file:
            lines = file.read().split("\n")
        checks.check("a new directory has a tusk.conf, all in comments",
                     len(lines) > 50 and all(line == "" or line[0] == "#" for line in lines))
        c = pgwire.connect(port=server.port)
        other = pgwire.connect(port=server.port)
        show = lambda name: c.rows(f"show {name}")[0][0]
        checks.check("the command line counts", show("work_mem") == "6MB")
        checks.check("data_directory", show("data_directory") == data)
        checks.check("config_file", show("config_file") == conf)
        with open(conf, "a", encoding="utf-8") as file:
            file.write("work_mem = '8MB'   # the command line has the last word\n"
                       "statement_timeout=90s\nTimeZone 'Europe/Berlin'\nmax_connections = 77\n"
                       "search_path = '\"$user\", public, o''x'\n")
        before = show("statement_timeout")
        other.query("set timezone = 'UTC'")
        server.process.send_signal(signal.SIGHUP)
        checks.check("SIGHUP is logged", wait_for(server, r'"statement_timeout" changed to "90000"'))
        checks.check("what needs a restart is named",
                     wait_for(server, r'"max_connections" cannot be changed without restart'))
        c.parameters.pop("TimeZone", None)
        checks.check("a session takes new values", (before, show("statement_timeout")) ==
                     ("0", "90s"))
        checks.check("and reports them", c.parameters.get("TimeZone") == "Europe/Berlin")
        checks.check("a quote in a value", show("search_path") == '"$user", public, o\'x')
        checks.check("not over the command line", show("work_mem") == "6MB")
        checks.check("not over SET", other.rows("show timezone") == [("UTC",)])
        other.query("reset timezone")
        checks.check("RESET goes to the file's value", other.rows("show timezone") ==
                     [("Europe/Berlin",)])
        rows = c.rows("select setting, source, sourcefile, sourceline is not null, reset_val "
                      "from pg_settings where name in ('statement_timeout', 'work_mem', "
                      "'lock_timeout') order by name")
        checks.check("pg_settings says where from", rows == [
            ("0", "default", None, "f", "0"),
            ("90000", "configuration file", conf, "t", "90000"),
            ("6144", "command line", None, "f", "6144")], str(rows))

        c.query("alter system set statement_timeout = '30s'")
        checks.check("ALTER SYSTEM changes nothing yet", show("statement_timeout") == "90s")
        checks.check("pg_reload_conf()", c.rows("select pg_reload_conf()") == [("t",)])
        checks.check("then it counts more than tusk.conf", show("statement_timeout") == "30s")
        c.query("alter system reset statement_timeout")
        c.query("select pg_reload_conf()")
        checks.check("ALTER SYSTEM RESET", show("statement_timeout") == "90s")
        c.query("alter system set lock_timeout = 1000")
        c.query("alter system reset all")
        checks.check("ALTER SYSTEM RESET ALL", "lock_timeout" not in
                     open(os.path.join(data, "tusk.auto.conf"), encoding="utf-8").read())
        checks.check("an unknown name", fails(c, "alter system set nosuch = 1") == "42704")
        checks.check("a bad value", fails(c, "alter system set work_mem = 'x'") == "22023")
        checks.check("a read-only one", fails(c, "alter system set server_version = 'x'") == "55P02")
        c.query("begin")
        checks.check("not in a block", fails(c, "alter system reset all") == "25001")
        c.query("rollback")
        checks.check("SET of a server's setting", fails(c, "set port = 1") == "55P02")
        checks.check("SET of a reloaded one", fails(c, "set log_connections = on") == "55P02")

        with open(conf, "a", encoding="utf-8") as file:
            file.write("this is wrong\n")
        checks.check("a bad file is an error for who asks",
                     fails(c, "select pg_reload_conf()") == "F0000")
        checks.check("and changes nothing", show("statement_timeout") == "90s")
        with open(conf, "a", encoding="utf-8") as file:
            file.truncate(os.path.getsize(conf) - len("this is wrong\n"))

        c.query("set log_min_duration_statement = 0")
        c.query("select 'slow\nas', 1")
        checks.check("slow statements are logged, in one line",
                     wait_for(server, r"duration: \d+\.\d{3} ms  pid: \d+  user: postgres  database: "
                                      r"postgres  application: .*statement: select 'slow as', 1"))
        c.query("set log_min_duration_statement = '1min'")
        c.query("select 'not slow'")
        c.query("alter system set log_connections = on")
        c.query("select pg_reload_conf()")
        pgwire.connect(port=server.port).close()
        checks.check("connections are logged", wait_for(server, r"connection  pid: \d+  user: pos"))
        checks.check("and their ends", wait_for(server, r"disconnection  pid: \d+  user: postgres .*"
                                                        r"session time: \d+\.\d{3} s"))
        checks.check("fast ones are not", "statement: select 'not slow'" not in server.tail(1000))
        c.close()
        other.close()
        server.stop()
        for text, words in [("port = 99999\n", "outside the valid range"),
                            ("\nport = 'x\n", "line 2"), ("work_mem 1 2\n", "syntax error"),
                            ("nosuch = 1\n", 'unrecognized configuration parameter "nosuch"'),
                            ("transaction_isolation = serializable\n", "cannot be changed"),
                            ("\0\0\0", "syntax error")]:
            status, said = refused(server, text)
            checks.check(f"tuskd refuses {text!r}", status == 2 and words in said, f"{status} {said}")
        metrics(checks, server)
        server.start()
        c = pgwire.connect(port=server.port)
        checks.check("after a restart", c.rows("show max_connections") == [("77",)] and
                     c.rows("show timezone") == [("Europe/Berlin",)])
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
