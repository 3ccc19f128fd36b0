#!/usr/bin/env python3
"""Drives tusk and compares what it prints with what psql 15 prints on PostgreSQL 15.

    tests/shell/compare.py --spawn release       # a tuskd of its own; psql's words from expected.json
    tests/shell/compare.py --psql --port 5432    # psql and tusk on the same server, right now
    tests/shell/compare.py --record --port 5432  # psql on PostgreSQL 15: writes expected.json anew

Leaves nothing behind but dropped tables. Also drives the terminal (prompts, history, completion,
Ctrl-C) through a pseudo terminal, where there is no psql to compare with.
"""
import argparse
import difflib
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server

EXPECTED = os.path.join(HERE, "expected.json")
FOLDER = "/tmp/tusk_shell_test"  # always the same, because error messages name files in it

SETUP = """
drop table if exists shell_child, shell_parent, shell_other;
create table shell_parent (id integer primary key, name text not null default 'x'::text,
    amount numeric(10,2), code varchar(5) unique, check (amount > 0::numeric));
create table shell_other (a int, "Mixed Case" text);
create index shell_other_a on shell_other (a);
insert into shell_parent (id, name, amount, code) values
    (1, 'one', 1.50, 'a'), (2, 'two', 22.00, null), (3, 'three', 333.33, 'ccc');
"""
TEARDOWN = "drop table if exists shell_child, shell_parent, shell_other"

# (options, commands): each command is one -c.
CASES = [
    ([], ["select 1"]),
    ([], ["select 1 as a, 'text' as b, null as c, 2.50 as d, true as e"]),
    ([], ["select * from shell_parent order by id"]),
    ([], ["select * from shell_parent where false"]),
    ([], ["select id as \"a longer heading\", name from shell_parent order by 1"]),
    ([], ["select 'line one' || chr(10) || 'two' as \"x\", 5 as n"]),
    ([], ["select E'a\\tb' as t, E'a\\rb' as r, E'\\x01' as c, 'x' as last"]),
    ([], ["select 'größe' as umlaut, '漢字' as wide, 'e\u0301' as combined, 1 as n"]),
    ([], ["select 1; select 2 as two; select 'three'"]),
    ([], ["select 1; select nothing; select 2"]),
    ([], [""]),
    ([], ["insert into shell_other values (1, 'x'), (2, 'y')", "select * from shell_other",
          "update shell_other set a = a + 1", "delete from shell_other"]),
    ([], ["insert into shell_other values (7, 'z') returning *",
          "delete from shell_other returning a"]),
    ([], ["begin", "select 1", "rollback"]),
    (["-x"], ["select * from shell_parent order by id"]),
    (["-x"], ["select 1"]),
    (["-x"], ["select 1 where false"]),
    (["-x"], ["select 'a' || chr(10) || 'bbbb' as x, 2 as longer_name"]),
    (["-t"], ["select * from shell_parent order by id"]),
    (["-t", "-x"], ["select * from shell_parent order by id"]),
    (["-A"], ["select * from shell_parent order by id"]),
    (["-A", "-t"], ["select * from shell_parent order by id"]),
    (["-A", "-t", "-F", ","], ["select * from shell_parent order by id"]),
    (["-A", "-x"], ["select * from shell_parent order by id"]),
    (["-A", "-t", "-x"], ["select * from shell_parent order by id"]),
    (["-q"], ["insert into shell_other values (1, 'x')", "delete from shell_other"]),
    # errors
    ([], ["select * from no_such_table"]),
    ([], ["select 1 from from"]),
    ([], ["select 1,\n  2,\n  nothing,\n  4"]),
    ([], ["select 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', xx"]),
    ([], ["select xx, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"]),
    ([], ["select 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', xx, "
          "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"]),
    ([], ["select 'größe', xx"]),
    ([], ["insert into shell_parent values (1, 'twice', 1)"]),
    ([], ["insert into shell_parent values (9, null, 1)"]),
    ([], ["insert into shell_parent values (9, 'x', -1)"]),
    ([], ["select 1/0"]),
    ([], ["drop table if exists no_such_table"]),
    ([], ["select nothing", "select 1"]),
    (["-v", "ON_ERROR_STOP=1"], ["select nothing", "select 1"]),
    # commands
    ([], ["\\d shell_parent"]),
    ([], ["\\d shell_other"]),
    ([], ["\\d shell_other_a"]),
    ([], ["\\d shell_parent_pkey"]),
    ([], ["\\d shell_parent_code_key"]),
    ([], ["\\d no_such_table"]),
    ([], ["\\dt"]),
    ([], ["\\di"]),
    ([], ["\\dt shell_p*"]),
    ([], ["\\dt nothing*"]),
    ([], ["\\d"]),
    ([], ["\\conninfo"]),
    ([], ["\\echo one 'two three'"]),
    ([], ["\\x", "select 1", "\\x off", "select 1"]),
    ([], ["\\a", "\\t", "select 1 as a, 2 as b"]),
    ([], ["\\pset null '(null)'", "select null as n"]),
    ([], ["\\nosuchcommand"]),
    ([], ["\\i /no/such/file"]),
    ([], ["copy shell_parent to stdout"]),
    ([], [f"\\copy shell_parent to '{FOLDER}/out.txt'", f"\\copy shell_parent to {FOLDER}/out.csv csv",
          f"\\copy (select 1 as to, 'it''s; \\d' as \"from\") to '{FOLDER}/it''s' (format csv, header)",
          "create table shell_copied (like shell_parent)",
          f"\\copy shell_copied from '{FOLDER}/out.txt'", f"\\copy shell_copied from {FOLDER}/out.csv csv",
          f"\\copy shell_copied (id, name) from '{FOLDER}/no such file'",
          f"\\copy shell_copied (id) from '{FOLDER}/out.txt'",
          f"\\copy shell_copied to '/no/such/folder'", "select * from shell_copied order by 1",
          "\\copy shell_copied to stdout", "drop table shell_copied"]),
    ([], [f"\\copy (select generate_series(1, 3)) to program 'cat > {FOLDER}/by_program'",
          "create table shell_program (a int)", f"\\copy shell_program from program 'cat {FOLDER}/by_program'",
          "\\copy shell_program from program 'exit 3'", "\\copy shell_program to program 'cat >/dev/null; exit 4'",
          "select sum(a) from shell_program", "drop table shell_program"]),
    ([], ["\\dD", "\\dx nothing", "\\dp shell_nosuch*", "\\z shell_nosuch*",
          "create view shell_seen as select id from shell_parent where id > 1", "\\sv shell_seen",
          "\\sv shell_parent", "grant select on shell_seen to public", "\\dp shell_seen", "drop view shell_seen"]),
    ([], ["\\copy"]), ([], ["\\copy shell_parent"]), ([], ["\\copy shell_parent from"]),
    ([], ["\\copy no_such_table to stdout"]), ([], ["\\copy shell_parent to stdout nonsense"]),
    ([], ["\\q", "select 1"]),
    ([], ["\\x auto", "select 1"]),
    ([], ["\\pset format csv",
          "select 1 as a, 'x,\"y\"' as \"b c\", null as c, E'a\\nb' as d"]),
    (["--csv", "-t"], ["select 1 as a, 'x y' as b"]),
    (["--csv", "-x"], ["select 1 as a, 'x y' as b"]),
    ([], ["\\set VERBOSITY terse", "select 1 +\n nothing", "\\set VERBOSITY sqlstate",
          "select 1/0"]),
    ([], ["\\set VERBOSITY chatty"]), ([], ["\\set ON_ERROR_STOP maybe"]),
    ([], ["\\set a-b 1"]), ([], ["\\unset"]), ([], ["\\gset"]), ([], ["\\else"]),
    (["-v", "x=5"], ["\\echo :x :'x' :\"x\" :y :{?x} :{?y} a:x", "select :x"]),
    (["-e"], ["select 1"]), (["-b"], ["select nothing"]),
    ([], [f"\\o {FOLDER}/results", "select 1", "\\qecho there", "\\o", "select 2",
          f"\\! cat {FOLDER}/results"]),
    ([], ["\\df shell_nosuch*", "\\dT shell_nosuch*"]), ([], ["\\d+ shell_parent"]),
    ([], ["\\d+ shell_other_a"]), ([], ["\\cd /no/such/place"]), ([], ["\\encoding"]), ([], ["\\errverbose"]),
]

# Scripts, run by -f and from the standard input.
SCRIPTS = [
    "select 1;\nselect 2\n  as two;\n",
    "select 'a;b' as a, \"max\"(1) from (select 1; -- no end here\n) x;\nselect 2;\n",
    "-- a comment\n\n  select 1 /* ; /* nested ; */ ; */ as a; select 2;\n",
    "select $$a;b$$ as a, $x$c;$y$;$x$ as b;\n",
    "select E'it\\'s;' as e, 'it''s;' as q;\n",
    "select 1\n",
    "select 1 \\g\nselect 2 \\gx\n\\x \\\\ select 3;\n",
    "select nothing;\nselect 1;\nselect 1 from;\n",
    "begin;\ninsert into shell_other values (1, 'x');\nselect nothing;\nselect 1;\nrollback;\n",
    "copy shell_other from stdin;\n1\tone\n2\t\\N\n\\.\nselect * from shell_other order by 1;\n"
    "delete from shell_other;\n",
    "copy shell_other from stdin;\nnot a number\tx\n\\.\nselect 1;\n",
    "copy shell_other from stdin with (format csv);\n5,\"a,b\"\n\\.\n"
    "copy shell_other to stdout;\ndelete from shell_other;\n",
    "\\echo hello\n\\d shell_other\n\\nonsense\nselect 1;\n",
    "\\pset format unaligned\nselect 1 as a, 2 as b;\n\\pset format aligned\nselect 3;\n",
    "\\set ON_ERROR_STOP on\nselect nothing;\nselect 1;\n",
    "select 1;\n\\q\nselect 2;\n",
    "select 1;;\n;\nselect 2;\n",
    "\\set n 2\nselect :n + 1 as a, ':n' as b, 5::int as c, :'n' as d, 1 as :\"n\", $$:n$$ as e"
    " -- :n\n;\n",
    "\\set q 'select 7;'\n:q\n\\set w 'it''s \\\\ x'\nselect :'w';\n\\echo :w\nselect :undefined;\n",
    "\\set a :b\n\\set b 3\n\\set c :b 4 ' 5'\n\\echo :c :a\n\\unset b\n\\echo :b\n",
    "select 1 as one, 'x' as two \\gset\n\\echo :one :two\nselect 5 as n \\gset my_\n\\echo :my_n\n"
    "select 1 where false \\gset\nselect generate_series(1,2) \\gset\nselect null as one \\gset\n"
    "\\echo :one\n",
    "select 'select ' || g as q, null, 'select ''x''' from generate_series(1,2) g \\gexec\n",
    "\\if true\nselect 1;\n\\if off\nselect 2;\n\\elif yes\nselect 3;\n\\else\nselect 4;\n\\endif\n"
    "\\else\nselect 5; \\echo no\n\\endif\nselect 6;\n",
    "\\if nonsense\n\\echo a\n\\else\n\\echo b\n\\endif\n\\endif\n\\if 1\n\\echo c\n",
    "\\set x 1\n\\if :x\n\\echo yes\n\\endif\n\\if :{?nope}\n\\echo yes\n\\else\n\\echo no\n\\endif\n",
    "select 1;\n\\echo :ROW_COUNT :ERROR :SQLSTATE\nselect nothing;\n\\echo :ROW_COUNT :ERROR :SQLSTATE\n"
    "\\echo :LAST_ERROR_MESSAGE\n\\echo :LAST_ERROR_SQLSTATE\nselect 1 \\g\n\\echo :ERROR\n",
    f"select 1 as a \\g {FOLDER}/g.out\n\\! cat {FOLDER}/g.out\nselect 2 as b \\g | cat\n",
    f"select 1\n\\p\n\\w {FOLDER}/w.out\n\\r\n\\! cat {FOLDER}/w.out\n",
    "\\setenv TUSK_T value\n\\getenv v TUSK_T\n\\echo :v\n\\setenv TUSK_T\n\\getenv v2 TUSK_T\n"
    "\\echo :v2\n",
    "\\echo -n a\n\\echo b 'c\\td' \"e f\"\n",
    "\\copy shell_other from stdin\n1\tone\n\\.\n\\copy shell_other to stdout\ndelete from shell_other;\n",
]


class Runner:
    def __init__(self, arguments):
        self.tusk = os.path.join(HERE, "..", "..", "build", arguments.build, "tusk")
        self.tusk = os.path.abspath(self.tusk)
        self.port = str(arguments.port)
        self.psql, self.record = arguments.psql, arguments.record
        self.expected = {}
        if not self.psql and not self.record:
            with open(EXPECTED) as file:
                self.expected = json.load(file)
        self.target = ["-h", arguments.host, "-p", str(arguments.port), "-U", arguments.user]
        self.dbname = arguments.dbname
        self.failures = 0
        self.count = 0
        self.environment = {**os.environ, "PSQLRC": "/dev/null", "TERM": "dumb", "LC_ALL": "C.UTF-8"}

    def run(self, program, options, stdin=""):
        command = [program, "-X", *self.target, "-d", self.dbname, *options]
        result = subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=60,
                                env=self.environment)
        error = result.stderr.decode().replace("psql:", "tusk:")
        seen = f"{result.stdout.decode()}--- error\n{error}--- exit {result.returncode}\n"
        return seen.replace(f'"{self.port}"', '"PORT"').replace(f"port {self.port} ", "port PORT ")

    def compare(self, what, options, stdin=""):
        self.count += 1
        if self.psql or self.record:
            self.expected[what] = self.run("psql", options, stdin)
        if self.record:
            return
        expected = self.expected[what]
        actual = self.run(self.tusk, options, stdin)
        if expected != actual:
            self.fail(what, "".join(difflib.unified_diff(
                expected.splitlines(True), actual.splitlines(True), "psql", "tusk")))

    def fail(self, what, why):
        self.failures += 1
        print(f"FAILED {what}\n{why}")


def cases(runner):
    for options, commands in CASES:
        arguments = list(options)
        for command in commands:
            arguments += ["-c", command]
        runner.compare(" ".join(arguments), arguments)
    for script in SCRIPTS:
        runner.compare(f"stdin {script!r}", [], script)
        path = os.path.join(FOLDER, "script.sql")
        with open(path, "w") as file:
            file.write(script)
        runner.compare(f"-f {script!r}", ["-f", path])
        runner.compare(f"-f stop {script!r}", ["-v", "ON_ERROR_STOP=1", "-f", path])
        runner.compare(f"\\i {script!r}", [], f"\\i {path}\nselect 'after';\n")


class Terminal:
    """tusk on a pseudo terminal."""

    def __init__(self, runner, folder, term="dumb"):
        editor = os.path.join(folder, "editor")
        with open(editor, "w") as file:
            file.write("#!/bin/sh\ngrep -q 'what the editor sees' $1 && "
                       "echo \"select 'edited' as x;\" > $1\n")
        os.chmod(editor, 0o755)
        environment = {**runner.environment, "TERM": term, "TUSK_HISTORY": os.path.join(folder, "history"),
                       "INPUTRC": "/dev/null", "EDITOR": editor, "TUSKRC": "/dev/null",
                       "PAGER": "echo paged $(wc -l) lines"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
            os.execve(runner.tusk, [runner.tusk, *runner.target, "-d", runner.dbname], environment)
        self.seen = ""

    def expect(self, pattern, seconds=10):
        end = time.time() + seconds
        while True:
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return match
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.time()))
            if not ready:
                raise AssertionError(f"no {pattern!r} in {self.seen!r}")
            try:
                self.seen += os.read(self.fd, 65536).decode(errors="replace").replace("\r", "")
            except OSError:
                raise AssertionError(f"ended before {pattern!r}: {self.seen!r}") from None

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def terminal_session(runner, folder):
    terminal = Terminal(runner, folder)
    fresh = rf"{runner.dbname}=[#>] "
    more = rf"{runner.dbname}-[#>] "
    terminal.expect(r"Type \"\\\?\" for help\.")
    terminal.expect(fresh)
    terminal.type("select 1\n")
    terminal.expect(more)
    terminal.type("+ 41 as answer;\n")
    terminal.expect(r" answer \n-+\n +42\n\(1 row\)\n")
    terminal.expect(fresh)
    for start, sign in [("select 'abc", "'"), ('select "abc', '"'), ("select (1", r"\("),
                        ("select $$ab", r"\$"), ("select /* x", r"\*")]:
        terminal.type(start + "\n")
        terminal.expect(rf"{runner.dbname}{sign}[#>] ")
        terminal.type("\x03")  # Ctrl-C forgets the statement
        terminal.expect(fresh)
    terminal.type("begin;\n")
    terminal.expect(rf"{runner.dbname}=\*[#>] ")
    terminal.type("select nothing;\n")
    terminal.expect(r"ERROR:  column \"nothing\" does not exist\nLINE 1: select nothing;\n +\^\n")
    terminal.expect(rf"{runner.dbname}=![#>] ")
    terminal.type("rollback;\n")
    terminal.expect(fresh)
    # completion: a keyword, a table
    terminal.type("sele\t")
    terminal.expect("select")
    terminal.type(" count(*) from shell_pare\t")
    terminal.expect("shell_parent")
    terminal.type(";\n")
    terminal.expect(r" count \n-+\n +3\n")
    terminal.expect(fresh)
    # history: the line before
    terminal.type("\x10\n")
    terminal.expect(r" count \n-+\n +3\n")
    terminal.expect(fresh)
    # Ctrl-C cancels what runs
    if runner.can_sleep:
        started = time.time()
        terminal.type("select pg_sleep(30);\n")
        time.sleep(0.5)
        terminal.type("\x03")
        terminal.expect("Cancel request sent")
        terminal.expect("canceling statement due to user request")
        terminal.expect(fresh)
        assert time.time() - started < 10
        terminal.type("select 'still here';\n")
        terminal.expect(r" still here\n")
        terminal.expect(fresh)
    terminal.type("copy shell_other from stdin;\n")
    terminal.expect("End with a backslash and a period")
    terminal.expect(">> ")
    terminal.type("1\tx\n")
    terminal.expect(">> ")
    terminal.type("\\.\n")
    terminal.expect("COPY 1")
    terminal.expect(fresh)
    terminal.type("\\d shell_other\n")
    terminal.expect(r"Table \"public.shell_other\"\n")
    terminal.expect(fresh)
    terminal.type("\\copy shell_other to stdout\n")
    terminal.expect(r"\n1\tx\n")
    terminal.expect(fresh)
    terminal.type("select 1 +;\n")
    terminal.expect(r"ERROR:  syntax error at or near \";\"\nLINE 1: select 1 \+;\n +\^\n")
    terminal.expect(fresh)
    terminal.type("\\nonsense\n")
    terminal.expect(r"invalid command \\nonsense\nTry \\\? for help\.")
    terminal.expect(fresh)
    # columns of the statement's tables, also behind an alias and over lines
    terminal.type("select shell_parent.amo\t")
    terminal.type(" from shell_parent where id = 1;\n")
    terminal.expect(r"ERROR|rows?\)")  # its table stood behind: nothing to complete with
    terminal.expect(fresh)
    terminal.type("update shell_parent set amo\t")
    terminal.expect("amount")
    terminal.type("= 1.5 where id = 1;\n")
    terminal.expect("UPDATE 1")
    terminal.expect(fresh)
    terminal.type("select 1 from shell_parent p\n")
    terminal.expect(more)
    terminal.type("where p.amo\t")
    terminal.expect(r"p\.amount")
    terminal.type("= 1.5;\n")
    terminal.expect(r"\(1 row\)")
    terminal.expect(fresh)
    terminal.type("select 'again' as watched\n")
    terminal.expect(more)
    terminal.type("\\watch 0.1\n")
    terminal.expect(r"\(every 0\.1s\)\n\n watched \n-+\n again\n(.*\n)+.*\(every 0\.1s\)")
    terminal.type("\x03")
    terminal.expect(fresh)
    terminal.type("select 'what the editor sees'\n\\e\n")
    terminal.expect(r"edited\n\(1 row\)")
    terminal.expect(fresh)
    terminal.type("select generate_series(1, 100);\n")
    terminal.expect(r"paged 10[0-9] lines\n")
    terminal.expect(fresh)
    terminal.type("\\x auto\n")
    terminal.expect("used automatically")
    terminal.type("select repeat('w', 70) as a, repeat('w', 70) as b;\n")
    terminal.expect(r"RECORD 1")
    terminal.type("select 'narrow' as a;\n")
    terminal.expect(r" narrow\n\(1 row\)")
    terminal.type("\\h rollback to\n")
    terminal.expect(r"ROLLBACK \[ WORK \| TRANSACTION \] TO")
    # How far it is: the data of \copy, after half a second, and an index, after one.
    terminal.type("\\copy shell_other (a) from program 'seq 1 99999; sleep 0.6; seq 1 99999; seq 1 99999'\n")
    terminal.expect(r"\d\.\d MiB, \d+\.\d MiB/s")
    terminal.expect("COPY 299997")
    terminal.type("delete from shell_other where a > 150; create index shell_slow on shell_other "
                  "(md5(repeat(a::text, 3000000)));\n")
    terminal.expect(r"\[#*\.+\] +\d+ % scanning table, \d s", 60)
    terminal.type("\x03")
    terminal.expect("canceling statement due to user request")
    terminal.expect(fresh)
    terminal.type("delete from shell_other where \"Mixed Case\" is null;\n")
    terminal.expect("DELETE 450")
    terminal.type("\\timing\n")
    terminal.expect("Timing is on.")
    terminal.type("delete from shell_other;\n")
    terminal.expect(r"DELETE 1\nTime: \d+\.\d\d\d ms")
    terminal.type("\\q\n")
    assert terminal.end() == 0
    with open(os.path.join(folder, "history")) as file:
        history = file.read()
    assert "+ 41 as answer;" in history, history

    coloured = Terminal(runner, folder, "xterm")
    coloured.expect(fresh)
    coloured.type("select 1 +;\n")
    coloured.expect("\x1b\\[1;31mERROR:\x1b\\[0m  syntax error at or near \";\"\nLINE 1: select 1 \\+;\n +"
                    "\x1b\\[1;31m\\^\x1b\\[0m\n")
    coloured.type("\\q\n")
    assert coloured.end() == 0

    again = Terminal(runner, folder)
    again.expect(fresh)
    again.type("\x04")
    again.expect(r"\\q")
    assert again.end() == 0


def other(runner):
    """What psql does not have, or says in other words."""
    def check(what, condition, seen):
        runner.count += 1
        if not condition:
            runner.fail(what, seen)

    def plain(*options):
        return subprocess.run([runner.tusk, *options], capture_output=True, text=True, timeout=20)

    result = plain("--version")
    check("--version", result.returncode == 0 and result.stdout.startswith("tusk"), result.stdout)
    result = plain("--help")
    check("--help", result.returncode == 0 and "Usage:" in result.stdout, result.stdout)
    result = plain("--nonsense")
    check("--nonsense", result.returncode == 1, result.stderr)
    result = plain("-p", "x")
    check("bad port", result.returncode == 1 and "invalid port" in result.stderr, result.stderr)
    result = plain("-h", "127.0.0.1", "-p", "1", "-c", "select 1")
    check("refused", result.returncode == 2 and "Connection refused" in result.stderr,
          result.stderr)
    seen = runner.run(runner.tusk, ["--stop-on-error"], "select nothing;\nselect 1;\n")
    check("--stop-on-error", seen.endswith("exit 3\n") and "1 row" not in seen, seen)
    seen = runner.run(runner.tusk, ["-c", "\\timing", "-c", "select 1"])
    check("\\timing", re.search(r"Timing is on\.\n(.*\n)+Time: \d+\.\d{3} ms", seen), seen)
    seen = runner.run(runner.tusk, ["-c", "\\l"])
    check("\\l", "List of databases" in seen and runner.dbname in seen, seen)
    seen = runner.run(runner.tusk, ["-c", "\\du"])
    check("\\du", "List of roles" in seen and "Superuser" in seen, seen)
    seen = runner.run(runner.tusk, ["-c", "\\dn"])  # the owner of "public" has another name
    check("\\dn", "List of schemas" in seen and " public | " in seen, seen)
    # Every statement that the server is documented to accept has its syntax in \h, and the list is in order.
    with open(os.path.join(HERE, "..", "..", "docs", "sql.md"), encoding="utf-8") as file:
        accepted = re.search(r"## Statements\n\n(.*?)\.\n\n", file.read(), re.S)[1]
    for name in re.sub(r" \.\. (AS )?", " ", accepted).replace("\n", " ").split(", "):
        name = re.sub(r"^(CREATE TYPE) .*|(CREATE) TEMPORARY (TABLE)", r"\1\2 \3", name).strip()
        seen = runner.run(runner.tusk, ["-c", f"\\h {name}"])
        check(f"\\h {name}", f"Command:     {name}\n" in seen and "No help" not in seen, seen)
    seen = runner.run(runner.tusk, ["-c", "\\h *"])
    names = re.findall(r"^Command:     (.*)$", seen, re.M)
    check("\\h in order", len(names) > 80 and names == sorted(names), names)
    seen = runner.run(runner.tusk, ["-c", "\\?"])
    check("\\?", "\\timing" in seen, seen)
    lines = "".join(f"{i}\t{'x' * 100}\n" for i in range(20000))
    script = f"copy shell_other from stdin;\n{lines}\\.\nselect count(*) from shell_other;\n"
    seen = runner.run(runner.tusk, ["-A", "-t"], script)
    check("copy of 2 MB", "COPY 20000\n20000\n" in seen, seen[:500])
    seen = runner.run(runner.tusk, ["-A", "-t", "-c", "copy shell_other to stdout"])
    check("copy out of 2 MB", seen.count("\n") == 20002, seen[:500])
    runner.run(runner.tusk, ["-c", "delete from shell_other"])


def run_all(arguments):
    os.makedirs(FOLDER, exist_ok=True)
    runner = Runner(arguments)
    setup = runner.run("psql" if runner.record else runner.tusk, ["-q", "-v", "ON_ERROR_STOP=1"], SETUP)
    if "exit 0" not in setup:
        print(setup, end="")
    runner.can_sleep = "exit 0" in runner.run(runner.tusk, ["-c", "select pg_sleep(0)"])
    cases(runner)
    if runner.record:
        with open(EXPECTED, "w") as file:
            json.dump(runner.expected, file, indent=1, ensure_ascii=False)
            file.write("\n")
    else:
        other(runner)
        with tempfile.TemporaryDirectory() as folder:
            runner.count += 1
            try:
                terminal_session(runner, folder)
            except AssertionError as error:
                runner.fail("terminal", str(error))
    runner.run(runner.tusk, ["-q", "-c", TEARDOWN])
    print(f"{runner.count - runner.failures} passed, {runner.failures} failed")
    return 1 if runner.failures else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spawn", metavar="BUILD", help="start build/BUILD/tuskd for it")
    parser.add_argument("--build", default="release", help="whose tusk")
    parser.add_argument("--psql", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default="5433")
    parser.add_argument("--user", default="postgres")
    parser.add_argument("--dbname", default="postgres")
    arguments = parser.parse_args()
    if not arguments.spawn:
        return run_all(arguments)
    with Server(arguments.spawn) as server:
        arguments.build, arguments.port = arguments.spawn, server.port
        return run_all(arguments)


if __name__ == "__main__":
    sys.exit(main())
