#!/usr/bin/env python3
"""Drives Tusk with PostgreSQL's own isolationtester (Debian: package postgresql-client-15).

    tests/isolation/isolationtester.py [--spawn BUILD | --host H --port N] [--level LEVEL]... [--limit N]
                                       [--specs DIR [--expected DIR]] [--diff] [SPEC]...

Our spec files are run on PostgreSQL 15 too and the two transcripts compared; where a file lists no
permutations, --limit of those that can be are chosen (0: all). --specs takes files from elsewhere, such as
src/test/isolation/specs of PostgreSQL's sources (`apt-get source postgresql-15`); then its
expected/*.out are what is compared with, SET of planner settings is left out, and dates are
compared as ISO. --level sets default_transaction_isolation.

Differences that are meant stand in tests/isolation/isolationtester.differs: spec, then why. A spec that
needs what Tusk does not have (its first error is 0A000, or of a thing it does not know) is counted apart.
"""
import argparse
import difflib
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
import pgwire
import isolation
import postgres
from server import Checks, Server

TESTER = "/usr/lib/postgresql/15/lib/pgxs/src/test/isolation/isolationtester"


PLANNER = re.compile(r"(?i)\bset\s+(?:local\s+)?(?:enable_\w+|\w+_page_cost|\w+_tuple_cost|"
                     r"force_parallel_mode|parallel_\w+|max_parallel_\w+|min_parallel_\w+|"
                     r"allow_system_table_mods|plan_cache_mode)\s*(?:=|to)\s*[^;}]*;?")


def transcript(target, text, level, seconds):
    """What isolationtester prints for the spec, and whether it came to an end."""
    options = f"-c default_transaction_isolation={level.replace(' ', chr(92) + ' ')}"
    environment = dict(os.environ, PGOPTIONS=options, PGISOLATIONTIMEOUT=str(seconds))
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spec:
        spec.write(text)
        spec.seek(0)
        try:
            run = subprocess.run(
                [TESTER, f"host={target['host']} port={target['port']} user={target['user']} "
                 f"dbname={target['database']}"], stdin=spec, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, env=environment, timeout=seconds * 20,
                errors="replace", check=False)
            return run.stdout, run.returncode == 0
        except subprocess.TimeoutExpired as error:
            return (error.stdout or b"").decode("utf-8", "replace"), False


def with_permutations(path, runner, level, limit):
    """The file's text; its permutations are ones that can be."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    spec = isolation.Spec(path)
    if spec.permutations:
        return text
    runner.prepare(spec, level)
    chosen = []
    for steps in spec.chosen(3 * limit, 1):
        if (not limit or len(chosen) < limit) and runner.execute(spec, steps) is not None:
            chosen.append(steps)
    return text + "\n" + "\n".join("permutation " + " ".join(steps) for steps in chosen) + "\n"


def clean(target):
    """Each spec in a schema as it was: what a failed one left is dropped."""
    with pgwire.connect(**target) as connection:
        for kind in ("v", "r", "S"):
            word = {"v": "view", "r": "table", "S": "sequence"}[kind]
            for (name,) in connection.rows(
                    "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                    f"where n.nspname = 'public' and c.relkind = '{kind}'"):
                try:
                    connection.query(f'drop {word} if exists "{name}" cascade')
                except pgwire.Error:
                    pass


def plain(text):
    """Without what may differ: blanks at the ends of lines, the order of a date."""
    text = re.sub(r"(?m)[ \t]+$", "", text)
    return re.sub(r"\b(\d\d)-(\d\d)-(\d{4})\b", r"\3-\1-\2", text)


def missing(text):
    """The first error says that Tusk has no such thing."""
    found = re.search(r"(?m)^(?:setup (?:of session \S+ )?failed: |step \S+: |session .*: )?(ERROR:.*(?:not supported|does not "
                      r"exist|syntax error|not implemented|unrecognized|permission denied).*)$", text)
    return found.group(1) if found else None


def known_differences():
    path = os.path.join(HERE, "isolationtester.differs")
    found = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    name, _, why = line.strip().partition(":")
                    found[name.strip()] = why.strip()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spawn", default="release")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int)
    parser.add_argument("--level", action="append")
    parser.add_argument("--specs")
    parser.add_argument("--expected")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--limit", type=int, default=6)
    parser.add_argument("--diff", action="store_true")
    parser.add_argument("spec", nargs="*")
    wanted = parser.parse_args()
    checks = Checks()
    if not os.path.exists(TESTER) or not postgres.INSTALLED:
        print("isolationtester is not installed")
        return checks.done()
    levels = wanted.level or ["read committed"]
    paths = wanted.spec or sorted(glob.glob(os.path.join(wanted.specs or HERE + "/specs", "*.spec")))
    expected = wanted.expected or (wanted.specs and os.path.join(wanted.specs, "..", "expected"))
    meant = known_differences()
    counts = {"same": 0, "meant": 0, "missing": 0, "other": 0}
    spawned = None if wanted.port else Server(wanted.spawn).start()
    tusk = {"host": wanted.host, "port": wanted.port or spawned.port, "user": "postgres",
            "database": "postgres", "password": None}
    server = None if expected else postgres.Postgres({"deadlock_timeout": "20ms"}).start()
    oracle = None if expected else dict(tusk, host="127.0.0.1", port=server.port)
    try:
        for path in paths:
            name = os.path.splitext(os.path.basename(path))[0]
            for level in levels:
                where = name if levels == ["read committed"] else f"{name}, {level}"
                if expected:
                    with open(path, encoding="utf-8") as file:
                        spec = PLANNER.sub("", file.read())
                else:
                    runner = isolation.Runner(tusk)
                    spec = with_permutations(path, runner, level, wanted.limit)
                    runner.close()
                text, ended = transcript(tusk, spec, level, wanted.seconds)
                text = plain(text)
                answers = []
                if expected:
                    for found in sorted(glob.glob(os.path.join(expected, name + ".out")) +
                                        glob.glob(os.path.join(expected, name + "_[0-9].out"))):
                        with open(found, encoding="utf-8") as answer:
                            answers.append(plain(PLANNER.sub("", answer.read())))
                else:
                    answers.append(plain(transcript(oracle, spec, level, wanted.seconds)[0]))
                if text in answers:
                    counts["same"] += 1
                    checks.check(where, True)
                    continue
                clean(tusk)
                absent = missing(text)
                why = meant.get(f"{name}, {level}", meant.get(name))
                if why:
                    counts["meant"] += 1
                    print(f"{where}: differs: {why}")
                elif absent and not any(absent in answer for answer in answers):
                    counts["missing"] += 1
                    print(f"{where}: not here: {absent}")
                else:
                    counts["other"] += 1
                    checks.check(where, False, "differs" if ended else "differs, and did not end")
                if wanted.diff and not (absent and not why):
                    closest = max(answers, default="", key=lambda answer: difflib.SequenceMatcher(
                        None, answer[:20000], text[:20000]).quick_ratio())
                    print("\n".join(difflib.unified_diff(
                        closest.split("\n"), text.split("\n"), "expected", "tusk", lineterm="", n=4)))
    finally:
        if spawned:
            spawned.stop()
        if server:
            server.stop()
    print(f"{len(paths)} specs: {counts['same']} the same, {counts['meant']} differ as meant, "
          f"{counts['missing']} need what is not here, {counts['other']} differ")
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
