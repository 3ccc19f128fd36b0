#!/usr/bin/env python3
"""Runs sqllogictest files against a server that speaks PostgreSQL's protocol.

    tests/slt/slt.py --port 5433 FILE_OR_FOLDER...

Records, separated by blank lines, # begins a comment:

    statement ok                     statement error [SQLSTATE] [message | ~regex]
    <sql>                            <sql>

    query TYPES [SORT] [LABEL]       query error [SQLSTATE] [message | ~regex]
    <sql>                            <sql>
    ----
    <expected>

    halt   hash-threshold N   skipif ENGINE   onlyif ENGINE   connection NAME

TYPES: a letter a column, I integer, R real (3 decimals), T text. SORT: nosort, rowsort, valuesort.
Expected values stand one a line (the classic form), or one row a line, values separated by tabs.
NULL is NULL, the empty string is (empty), three spaces are (3 spaces). "N values hashing to MD5" is
understood.
`connection NAME` switches to a session of its own for the records that follow.

Tables and other objects that a file creates are dropped before and after it. --rewrite replaces all
expectations by what the server answers (run it against PostgreSQL). --known FILE lists path:line of
records that may fail; --write-known writes it. Exit status: 0 if nothing failed that is not known.
--spawn BUILD starts a tuskd of build/BUILD for the run; --spawn postgres a PostgreSQL 15.
"""
import argparse
import hashlib
import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import pgwire  # noqa: E402
import postgres  # noqa: E402
import server  # noqa: E402

READY = b"Z\0\0\0\5"
SQLSTATE = re.compile(r"^[0-9A-Z]{5}$")
CREATE = re.compile(r"\bcreate\s+(?:or\s+replace\s+)?(?:temp\s+|temporary\s+|unlogged\s+)?"
                    r"(table|view|sequence|schema|type)\s+(?:if\s+not\s+exists\s+)?"
                    r"([\w.]+|\"[^\"]+\")", re.I)


class Record:
    def __init__(self, kind, line):
        self.kind = kind            # "statement", "query", "halt", "hash-threshold", "connection"
        self.line = line            # 1-based, of its first line
        self.words = []             # behind the kind
        self.sql = ""
        self.expected = []
        self.conditions = []        # ("skipif" | "onlyif", engine)
        self.result_lines = (0, 0)  # range of lines that --rewrite replaces (0-based, half open)
        self.head_line = 0


def parse(text):
    lines = text.split("\n")
    records, conditions, at = [], [], 0
    while at < len(lines):
        line = lines[at].split("#")[0].rstrip() if lines[at].startswith(("skipif", "onlyif")) \
            else lines[at].rstrip()
        words = line.split()
        if not words or line.startswith("#"):
            at += 1
            continue
        if words[0] in ("skipif", "onlyif"):
            conditions.append((words[0], words[1]))
            at += 1
            continue
        record = Record(words[0], at + 1)
        record.words, record.conditions, record.head_line = words[1:], conditions, at
        record.head = line
        conditions = []
        at += 1
        if record.kind in ("statement", "query"):
            start = at
            while at < len(lines) and lines[at].strip() and lines[at].rstrip() != "----":
                at += 1
            record.sql = "\n".join(lines[start:at])
            record.result_lines = (at, at)
            if at < len(lines) and lines[at].rstrip() == "----":
                start = at
                at += 1
                while at < len(lines) and lines[at].strip("\r\n "):
                    record.expected.append(lines[at].rstrip("\r"))
                    at += 1
                record.result_lines = (start, at)
        elif record.kind not in ("halt", "hash-threshold", "connection"):
            raise SystemExit(f"line {record.line}: unknown record {record.kind!r}")
        records.append(record)
    return lines, records


def format_value(value, kind):
    if value is None:
        return "NULL"
    if kind == "I":
        if value in ("t", "f"):
            return "1" if value == "t" else "0"
        try:
            return str(int(value))
        except ValueError:
            try:
                return str(int(float(value)))
            except (ValueError, OverflowError):
                return value
    if kind == "R":
        try:
            return "%.3f" % float(value)
        except ValueError:
            return value
    if value == "":
        return "(empty)"
    if not value.strip(" "):
        return f"({len(value)} spaces)"
    return "".join(c if c in "\t" or c >= " " else {"\n": "\\n", "\r": "\\r"}.get(c, "@")
                   for c in value)


class Runner:
    def __init__(self, options):
        self.options = options
        self.connections = {}
        self.hash_threshold = 0
        self.waited = 0.0           # seconds between a statement's sending and its last byte of answer
        # What PostgreSQL is spared, or alone is asked, so is Tusk.
        self.engines = {options.engine, "postgresql"}

    def connection(self, name):
        if name not in self.connections:
            self.revive()
            self.connections[name] = pgwire.connect(
                self.options.host, self.options.port, self.options.user, self.options.database,
                self.options.password, timeout=self.options.timeout)
        return self.connections[name]

    def close(self):
        for connection in self.connections.values():
            connection.close()
        self.connections = {}

    def revive(self):
        """A server of ours that has ended is a failure, and is started again for the rest."""
        spawned = getattr(self.options, "spawned", None)
        if spawned is not None and not spawned.alive():
            print(spawned.tail())
            spawned.start()

    def drop_all(self, records):
        """What the file creates, youngest first."""
        names = []
        for record in records:
            for kind, name in CREATE.findall(record.sql):
                if (kind.lower(), name) not in names:
                    names.append((kind.lower(), name))
        connection = self.connection("")
        for kind, name in reversed(names):
            for suffix in (" cascade", ""):
                try:
                    connection.query(f"drop {kind} if exists {name}{suffix}")
                    break
                except pgwire.Error:
                    pass

    def run_sql(self, connection, sql):
        """(error, rows, columns)"""
        try:
            if self.options.extended:
                result = connection.execute(sql)
            else:
                result = self.query(connection, sql)
            return None, result.rows, len(result.columns)
        except pgwire.Error as error:
            return error, [], 0

    def query(self, connection, sql):
        """The last result. What the answer's reading costs here is not counted as waiting: first it is
        received, up to what looks like a ReadyForQuery at the end, then read. COPY waits for us instead."""
        if "copy" in sql.lower():
            return connection.query(sql)[-1]
        start = time.perf_counter()
        connection.send(b"Q", pgwire.cstr(sql))
        buffer = connection.buffer
        while buffer[-6:-1] != READY:
            data = connection.sock.recv(1 << 20)
            if not data:
                raise pgwire.ConnectionLost("the server closed the connection")
            buffer += data
        self.waited += time.perf_counter() - start
        return connection.collect()[-1]

    @staticmethod
    def error_matches(error, words):
        """None, or why not."""
        words = list(words)
        if words and SQLSTATE.match(words[0]):
            state = words.pop(0)
            if error.sqlstate != state:
                return f"expected {state}, got {error}"
        wanted = " ".join(words)
        if wanted.startswith("~"):
            if not re.search(wanted[1:].strip(), error.message):
                return f"expected a message like {wanted[1:].strip()!r}, got {error.message!r}"
        elif wanted and wanted != " ".join(error.message.split()):
            return f"expected message {wanted!r}, got {error.message!r}"
        return None

    def values(self, record, rows, columns):
        """Rows of formatted values."""
        types = record.words[0] if record.words else ""
        types = types if len(types) == columns else "T" * columns
        table = [[format_value(v, k) for v, k in zip(row, types)] for row in rows]
        sort = record.words[1] if len(record.words) > 1 else "nosort"
        if sort == "rowsort":
            table.sort()
        elif sort == "valuesort":
            table = [[value] for value in sorted(value for row in table for value in row)]
        return table

    def check_rows(self, record, rows, columns):
        types = record.words[0] if record.words else ""
        if columns != len(types):
            return f"expected {len(types)} columns, got {columns}"
        table = self.values(record, rows, columns)
        flat = [value for row in table for value in row]
        expected = record.expected
        if len(expected) == 1 and (match := re.match(r"(\d+) values hashing to (\w+)$", expected[0])):
            digest = hashlib.md5("".join(v + "\n" for v in flat).encode()).hexdigest()
            if int(match[1]) != len(flat) or match[2] != digest:
                return f"expected {expected[0]}, got {len(flat)} values hashing to {digest}"
            return None
        by_row = ["\t".join(row) for row in table]
        if expected in (flat, by_row) or [line.rstrip() for line in expected] == \
                [line.rstrip() for line in by_row]:
            return None
        return "expected\n    " + "\n    ".join(expected[:20]) + "\n  got\n    " + \
            "\n    ".join(by_row[:20])

    def run_record(self, record, connection):
        """None, or what is wrong."""
        error, rows, columns = self.run_sql(connection, record.sql)
        wants_error = bool(record.words) and record.words[0] == "error"
        if wants_error:
            if error is None:
                return "expected an error"
            return self.error_matches(error, record.words[1:])
        if error is not None:
            return str(error)
        return self.check_rows(record, rows, columns) if record.kind == "query" else None

    def rewritten(self, record, connection):
        """The record's head and result lines as the server has them."""
        error, rows, columns = self.run_sql(connection, record.sql)
        if error is not None:
            message = " ".join(error.message.split())
            return f"{record.kind} error {error.sqlstate} {message}", []
        if record.kind == "statement":
            return "statement ok", []
        if not record.words or record.words[0] == "error" or len(record.words[0]) != columns:
            record.words = ["T" * columns] + record.words[1:]
        table = self.values(record, rows, columns)
        return " ".join(["query", *record.words]), ["----"] + ["\t".join(row) for row in table]

    def run_file(self, path):
        """(passed, [(line, sql, why)])"""
        text = Path(path).read_text(errors="surrogateescape")
        lines, records = parse(text)
        passed, failures, edits = 0, [], []
        name = ""
        try:
            self.drop_all(records)
            for record in records:
                if any((kind == "skipif") == (engine in self.engines)
                       for kind, engine in record.conditions):
                    continue
                if record.kind == "halt":
                    break
                if record.kind == "hash-threshold":
                    self.hash_threshold = int(record.words[0])
                    continue
                if record.kind == "connection":
                    name = record.words[0]
                    continue
                if self.options.rewrite:
                    edits.append((record, *self.rewritten(record, self.connection(name))))
                    continue
                try:
                    wrong = self.run_record(record, self.connection(name))
                except (pgwire.ConnectionLost, TimeoutError) as lost:
                    failures.append((record.line, record.sql, f"connection lost: {lost}"))
                    self.close()
                    self.revive()
                    continue
                if wrong is None:
                    passed += 1
                else:
                    failures.append((record.line, record.sql, wrong))
                    if self.options.stop:
                        break
            self.close()
            if not self.options.keep:
                self.drop_all(records)
        finally:
            self.close()
        if self.options.rewrite:
            for record, head, result in reversed(edits):
                start, end = record.result_lines
                lines[start:end] = result
                lines[record.head_line] = head
            Path(path).write_text("\n".join(lines), errors="surrogateescape")
        return passed, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PGPORT", "5433")))
    parser.add_argument("--user", default="postgres")
    parser.add_argument("--database", default="postgres")
    parser.add_argument("--password")
    parser.add_argument("--engine", default="postgresql", help="what skipif and onlyif mean")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--spawn", help="start a server: release, debug, tsan or postgres")
    parser.add_argument("--extended", action="store_true", help="use the extended protocol")
    parser.add_argument("--rewrite", action="store_true")
    parser.add_argument("--stop", action="store_true", help="end a file at its first failure")
    parser.add_argument("--keep", action="store_true", help="do not drop what a file created")
    parser.add_argument("--known", help="records that may fail, path:line")
    parser.add_argument("--write-known", help="write the failing records there")
    parser.add_argument("--times", help="write there, for each file: its name, records passed, seconds waited")
    parser.add_argument("--quiet", action="store_true", help="no details of failures")
    parser.add_argument("--show", type=int, default=20, help="failures shown per file")
    options = parser.parse_args()
    if options.spawn is None:
        return run(options)
    if options.spawn == "postgres":
        spawned = postgres.Postgres()
    else:
        spawned = options.spawned = server.Server(options.spawn)
        options.engine = "tusk"
    with spawned:
        options.port = spawned.port
        return run(options)


def run(options):
    files = []
    for path in map(Path, options.paths):
        found = sorted(p for p in path.rglob("*") if p.suffix in (".slt", ".test")) \
            if path.is_dir() else [path]
        files += [(p, p.relative_to(path) if path.is_dir() else Path(p.name)) for p in found]
    known = set(Path(options.known).read_text().split()) if options.known else set()
    total, bad, expected_bad, failing, waited, times = 0, 0, 0, [], 0.0, []
    start = time.monotonic()
    for path, short in files:
        runner = Runner(options)
        passed, failures = runner.run_file(path)
        waited += runner.waited
        times.append(f"{short} {passed} {runner.waited:.6f}\n")
        total += passed
        fresh = [f for f in failures if f"{short}:{f[0]}" not in known]
        bad += len(fresh)
        expected_bad += len(failures) - len(fresh)
        failing += [f"{short}:{line}" for line, _, _ in failures]
        if not options.rewrite:
            print(f"{path}: {passed} passed, {len(failures)} failed", flush=True)
        if not options.quiet:
            for line, sql, why in fresh[:options.show]:
                print(f"  {path}:{line}: {' '.join(sql.split())[:300]}\n  {why}")
    if options.write_known:
        Path(options.write_known).write_text("".join(f"{name}\n" for name in failing))
    if options.times:
        Path(options.times).write_text("".join(times))
    print(f"{total} passed, {bad} failed"
          + (f" ({expected_bad} known to fail)" if expected_bad else "")
          + f", {len(files)} files, {waited:.1f} s waiting of {time.monotonic() - start:.1f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
