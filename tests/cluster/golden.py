#!/usr/bin/env python3
"""Golden files at a router over three nodes, in step with one tuskd: equal or refused, never different.

    tests/cluster/golden.py [--build release] [--sharded] [--extended] [--pooler] [--verbose] [FILE ...]

Each statement of tests/golden/*.slt goes to the router first. What it refuses (a number of
tusk_router_refusals, or a reason that REFUSED_AS gives) has changed nothing, so the single server is spared
it; in a block both have failed. All else has to be the same: rows, names and types of columns, tags, notices,
SQLSTATE and words of errors, the state of the block. --sharded: each CREATE TABLE with a primary key is
SHARD BY HASH of its first column, on both sides. --pooler: one node that is in no cluster. What is known to
differ stands in golden.differs, with why.
"""
import argparse
import os
import re
import sys
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "slt"), os.path.join(HERE, "..", "lib")]
import pgwire
import slt
from cluster import Cluster, Router, connect
from server import ROOT, Checks, Server

# SQLSTATE and words of what is refused because tables are sharded, in docs/sharding.md.
REFUSED_AS = (("0A000", "unique key .* of a sharded table must contain its shard column"),)
KEY = re.compile(r'(?is)^\s*create\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?[\w."]+\s*\((.*)\)\s*;?\s*$')
FAIL = "select 1/(select 0)"


def sharded(sql):
    """The statement with SHARD BY, or None."""
    found = KEY.match(sql)
    if not found or sql.count(";") > 1:
        return None
    inside = found[1]
    key = re.search(r'(?is)\bprimary\s+key\s*\(\s*("?\w+"?)', inside)
    if key is None:
        for part in re.split(r",(?![^()]*\))", inside):
            if re.search(r"(?is)\bprimary\s+key\b", part):
                key = re.match(r'(?is)\s*("?\w+"?)', part)
                break
    return None if key is None else f"{sql.rstrip().rstrip(';')} shard by hash ({key[1]}) buckets 8"


class Answer:
    def __init__(self, connection, sql, extended):
        self.error, self.results = None, []
        connection.notices.clear()
        try:
            self.results = [connection.execute(sql)] if extended else connection.query(sql)
        except pgwire.Error as error:
            self.error = error
            self.results = getattr(error, "results", [])
        self.status = connection.status
        self.notices = [{k: n.get(k) for k in "SCMDH"} for n in connection.notices]

    def refused(self):
        if self.error is None:
            return None
        found = re.search(r"Reason (\d+) of tusk_router_refusals", self.error.detail or "")
        if found:
            return f"reason {found[1]}"
        for state, words in REFUSED_AS:
            if self.error.sqlstate == state and re.search(words, self.error.message):
                return f"{state} {words}"
        return None

    def view(self, ordered):
        error = None if self.error is None else \
            {k: v for k, v in self.error.fields.items() if k in "SCMDHPtcdn"}
        results = []
        for r in self.results:
            rows = r.rows if ordered else sorted(r.rows, key=str)
            results.append((r.tag, [(c.name, c.type_oid, c.typmod) for c in r.columns], rows, r.copy_data))
        return {"error": error, "status": self.status, "notices": self.notices, "results": results}


# What no two servers agree on: numbers of types made here, times, random identifiers.
MASKED = ((re.compile(r"\b16106\d{5}\b"), "OID"), (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
          (re.compile(r"\b\d\d:\d\d:\d\d\.\d+"), "TIME"), (re.compile(r"\b17\d{14}\b"), "SAGA"),
          (re.compile(r"transaction \d+ has (.*) of process \d+"), r"transaction has \1"))


def masked(value):
    text = repr(value)
    for pattern, word in MASKED:
        text = pattern.sub(word, text)
    return text


def difference(one, many, ordered):
    a, b = one.view(ordered), many.view(ordered)
    for key in a:
        if masked(a[key]) != masked(b[key]):
            return f"{key}\n    one:  {str(a[key])[:700]}\n    many: {str(b[key])[:700]}"
    return None


class Pair:
    """One server and many, statement by statement."""

    def __init__(self, options, one, many):
        self.options, self.one, self.many = options, one, many
        self.connections = {}
        self.refused = Counter()

    def connection(self, name):
        if name not in self.connections:
            self.connections[name] = (connect(self.one), connect(self.many))
        return self.connections[name]

    def close(self):
        for pair in self.connections.values():
            for connection in pair:
                connection.close()
        self.connections = {}

    def run(self, name, sql, ordered):
        """None, "refused ..", or how they differ."""
        one, many = self.connection(name)
        if self.options.sharded and (text := sharded(sql)):
            many_answer = Answer(many, text, self.options.extended)
            if many_answer.error is None:
                return difference(Answer(one, text, self.options.extended), many_answer, True)
            if many_answer.status == "E":
                Answer(one, FAIL, False)
                return "refused"
        many_answer = Answer(many, sql, self.options.extended)
        why = many_answer.refused()
        if why is not None:
            self.refused[why] += 1
            if self.options.verbose:
                print(f"    {why}: {' '.join(sql.split())[:150]}")
            if many_answer.status == "E" and one.status == "T":
                Answer(one, FAIL, False)
            return "refused"
        one_answer = Answer(one, sql, self.options.extended)
        if re.match(r"(?is)\s*explain\b", sql): # plans name nodes
            one_answer.results = many_answer.results = []
        return difference(one_answer, many_answer, ordered)

    def clean(self, records):
        for record in reversed(records):
            for kind, what in reversed(slt.CREATE.findall(record.sql)):
                for connection in self.connection("clean"):
                    try:
                        connection.query(f"drop {kind} if exists {what} cascade")
                    except pgwire.Error:
                        pass

    def file(self, path):
        """(equal, refused, [(line, sql, difference)])"""
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            _, records = slt.parse(file.read())
        name, equal, refused, different = "", 0, 0, []
        self.clean(records)
        for record in records:
            if record.kind == "connection":
                name = record.words[0]
            if record.kind not in ("statement", "query") or \
                    any((kind == "skipif") == (engine in ("tusk", "postgresql"))
                        for kind, engine in record.conditions):
                continue
            ordered = not (len(record.words) > 1 and record.words[1] in ("rowsort", "valuesort"))
            if not re.search(r"(?is)order\s+by", record.sql) and self.options.sharded:
                ordered = False
            try:
                what = self.run(name, record.sql, ordered)
            except (pgwire.ConnectionLost, TimeoutError, OSError) as lost:
                what = f"connection lost: {lost}"
                self.close()
            if what is None:
                equal += 1
            elif what == "refused":
                refused += 1
            else:
                different.append((record.line, record.sql, what))
        self.close()
        self.clean(records)
        self.close()
        return equal, refused, different


def same_schema(cluster, seconds=3):
    """None, or the log of a router that has not brought all nodes to the newest version."""
    end = time.monotonic() + seconds
    while True:
        versions = []
        for shard in cluster.shards:
            with connect(shard) as connection:
                versions += connection.rows("select max(version) from tusk_cluster.ddl")
        if len(set(versions)) == 1:
            return None
        if time.monotonic() > end:
            return f"{versions}\n{cluster.router.tail()}"
        time.sleep(0.1)


def meant():
    """[(file, what the statement is like, why)] of golden.differs."""
    with open(os.path.join(HERE, "golden.differs"), encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(" | ") for line in file if line.strip() and line[0] != "#"]
    return [(name, re.compile(pattern, re.I | re.S), why) for name, pattern, why in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--build", default="release")
    parser.add_argument("--sharded", action="store_true")
    parser.add_argument("--extended", action="store_true")
    parser.add_argument("--pooler", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="say what is refused")
    options = parser.parse_args()
    folder = os.path.join(ROOT, "tests", "golden")
    files = options.files or sorted(os.path.join(folder, f) for f in os.listdir(folder))
    checks = Checks()
    total, known = Counter(), meant()
    left_out = {file for file, like, _ in known if like.pattern == ""}
    files = [path for path in files if os.path.basename(path) not in left_out]
    with Server(options.build) as one:
        if options.pooler:
            behind = Server(options.build)
            behind.start()
            many = Router(options.build, f"n1=127.0.0.1:{behind.port}")
            many.start()
            ends = [many, behind]
        else:
            cluster = Cluster(options.build).__enter__()
            many, ends = cluster.router, [cluster]
        try:
            pair = Pair(options, one, many)
            for path in files:
                equal, refused, different = pair.file(path)
                behind = None if options.pooler else same_schema(cluster)
                checks.check(f"{os.path.basename(path)}: all nodes have its definitions", behind is None, behind)
                total.update(equal=equal, refused=refused)
                print(f"{os.path.basename(path)}: {equal} equal, {refused} refused, "
                      f"{len(different)} different", flush=True)
                name = os.path.basename(path)
                for line, sql, what in different:
                    if any(name == file and like.match(" ".join(sql.split())) for file, like, _ in known):
                        total.update(meant=1)
                        continue
                    checks.check(f"{os.path.basename(path)}:{line}", False,
                                 f"{' '.join(sql.split())[:300]}\n  {what}")
                checks.passed += equal + refused
        finally:
            for end in ends:
                end.__exit__(None)
    print(dict(total), dict(pair.refused))
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
