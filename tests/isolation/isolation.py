#!/usr/bin/env python3
"""Runs spec files in the format of PostgreSQL's isolationtester against any server of its protocol.

    tests/isolation/isolation.py [--spawn BUILD | --postgres | --host H --port N] [--level LEVEL]...
                                 [--limit N] [--transcript] [SPEC]...

A spec says what each session does, step by step; the runner tries the permutations listed or, if none
are, all that keep each session's order (--limit: so many of them, chosen by --seed). Which steps wait
is asked of the server (pg_isolation_test_session_is_blocked, pg_stat_activity or pg_locks) and, where
it does not know, told by time.

The same files run under PostgreSQL's own isolationtester: what is ours stands in comments.

    #@ anomaly NAME: words         for the matrix
    #@ seen: EXPRESSION            over r (step -> its rows or its SQLSTATE), failed, and s (the state)
    #@ state: QUERY                what the end state is, for comparing with serial executions
    #@ LEVEL [on postgres|on tusk]: WHAT, ...    what is expected, over all permutations
    #@ only: LEVEL, ...            levels at which it is run
    #@ settings: NAME = VALUE, ... set in all sessions where the server knows them

WHAT is `seen`, `not seen`, `may be seen`; `fails CODE[/CODE]`, `no failures`, `may fail CODE`; `waits`,
`no waits`, `may wait`. Without `seen:` an anomaly is an execution unlike every serial one of the
sessions that committed: the runner executes those on the same server and compares every answer and the
state in the end. At SERIALIZABLE that is asked of every permutation of every spec that has `state:`,
whatever `seen:` says.

--transcript prints the steps and their results in isolationtester's own format.
"""
import argparse
import contextlib
import glob
import itertools
import os
import random
import re
import select
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import pgwire
import postgres
from server import Checks, Server

LEVELS = ("read uncommitted", "read committed", "repeatable read", "serializable")
RETRY = ("40001", "40P01")
STUCK_SECONDS = 20


# ---- the files ----------------------------------------------------------------------------------

class SpecError(Exception):
    pass


class Spec:
    def __init__(self, path):
        self.path = path
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.setup, self.teardown = [], []
        self.sessions = []          # (name, setup, [(step, sql)], teardown)
        self.permutations = []      # [step, ...]; blockers of isolationtester's are read and dropped
        self.anomaly = None         # (name, words)
        self.seen = None
        self.state = None
        self.only = None
        self.settings = []
        self.expected = {}          # (level, server or None) -> {"seen": ..., "fails": ..., "waits": ...}
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for line in re.findall(r"^#@\s*(.*)$", text, re.M):
            self.annotate(line)
        self.parse(text)
        self.step_sql = {step: sql for _, _, steps, _ in self.sessions for step, sql in steps}
        self.step_session = {step: i for i, session in enumerate(self.sessions)
                             for step, _ in session[2]}
        for permutation in self.permutations:
            for step in permutation:
                if step not in self.step_sql:
                    raise SpecError(f"{path}: no step is called {step}")

    def annotate(self, line):
        head, _, rest = line.partition(":")
        head, rest = head.strip(), rest.strip()
        if head.startswith("anomaly "):
            self.anomaly = (head[8:].strip(), rest)
        elif head == "seen":
            self.seen = rest
        elif head == "state":
            self.state = rest
        elif head == "settings":
            self.settings = [setting.strip() for setting in rest.split(",")]
        elif head == "only":
            self.only = [level.strip() for level in rest.split(",")]
        else:
            level, _, server = head.partition(" on ")
            if level not in LEVELS + ("all",) or server not in ("", "postgres", "tusk"):
                raise SpecError(f"{self.path}: what is `{line}`?")
            wish = {}
            for what in rest.split(","):
                what = what.strip()
                if found := re.fullmatch(r"(not |may be )?seen", what):
                    wish["seen"] = {"not ": "no", "may be ": "may", None: "yes"}[found.group(1)]
                elif found := re.fullmatch(r"(no |may )?waits?", what):
                    wish["waits"] = {"no ": "no", "may ": "may", None: "yes"}[found.group(1)]
                elif what == "no failures":
                    wish["fails"] = ("no", set())
                elif found := re.fullmatch(r"(fails|may fail) ([0-9A-Z/]+)", what):
                    wish["fails"] = ("yes" if found.group(1) == "fails" else "may",
                                     set(found.group(2).split("/")))
                else:
                    raise SpecError(f"{self.path}: what is `{what}`?")
            for one in LEVELS if level == "all" else (level,):
                self.expected.setdefault((one, server or None), {}).update(wish)

    def expectation(self, level, server):
        both = dict(self.expected.get((level, None), {}))
        if level == "read uncommitted" and not both:
            both = dict(self.expected.get(("read committed", None), {}))
            both.update(self.expected.get(("read committed", server), {}))
        both.update(self.expected.get((level, server), {}))
        return both

    def parse(self, text):
        tokens, at = [], 0
        pattern = re.compile(r"\s+|#[^\n]*|(?P<sql>\{)|\"(?P<quoted>[^\"\n]*)\"|(?P<mark>[(),*])|"
                             r"(?P<word>[A-Za-z0-9_.-]+)")
        while at < len(text):
            found = pattern.match(text, at)
            if not found:
                raise SpecError(f"{self.path}: cannot read `{text[at:at + 20]}`")
            at = found.end()
            if found.group("sql"):
                end = text.index("}", at)
                tokens.append(("sql", text[at:end].strip()))
                at = end + 1
            elif found.group("mark"):
                tokens.append(("mark", found.group("mark")))
            elif found.group("word") or found.group("quoted") is not None:
                tokens.append(("word", found.group("word") or found.group("quoted")))
        tokens.append(("end", ""))
        place = 0

        def take(kind, value=None):
            nonlocal place
            if tokens[place][0] == kind and value in (None, tokens[place][1]):
                place += 1
                return tokens[place - 1][1]
            return None

        while take("word", "setup"):
            self.setup.append(take("sql"))
        if take("word", "teardown"):
            self.teardown.append(take("sql"))
        while take("word", "session"):
            name, setup, steps, teardown = take("word"), None, [], None
            if take("word", "setup"):
                setup = take("sql")
            while take("word", "step"):
                step = take("word")
                steps.append((step, take("sql")))
            if take("word", "teardown"):
                teardown = take("sql")
            self.sessions.append((name, setup, steps, teardown))
        while take("word", "permutation"):
            permutation = []
            while tokens[place][0] == "word" and tokens[place][1] != "permutation":
                permutation.append(take("word"))
                if take("mark", "("):
                    while not take("mark", ")"):
                        place += 1
            self.permutations.append(permutation)
        if tokens[place][0] != "end" or not self.sessions:
            raise SpecError(f"{self.path}: did not expect `{tokens[place][1]}`")

    def chosen(self, limit, seed):
        """The permutations to run; all, or some of them."""
        if self.permutations:
            return self.permutations
        queues = [[step for step, _ in steps] for _, _, steps, _ in self.sessions]
        sizes = [len(queue) for queue in queues]
        count, left = 1, sum(sizes)
        for size in sizes:
            for i in range(size):
                count = count * (left - i) // (i + 1)
            left -= size

        def build(order):
            at = [0] * len(queues)
            steps = []
            for session in order:
                steps.append(queues[session][at[session]])
                at[session] += 1
            return steps

        owners = [i for i, size in enumerate(sizes) for _ in range(size)]
        if not limit or count <= limit:
            found = []

            def extend(order, rest):
                if not any(rest):
                    found.append(build(order))
                for i, one in enumerate(rest):
                    if one:
                        extend(order + [i], rest[:i] + [one - 1] + rest[i + 1:])
            extend([], sizes)
            return found
        shuffle = random.Random(f"{seed} {self.name}")
        orders = set()
        while len(orders) < limit:
            shuffle.shuffle(owners)
            orders.add(tuple(owners))
        return [build(order) for order in sorted(orders)]


# ---- sessions -----------------------------------------------------------------------------------

class Session(pgwire.Connection):
    """Its answers are looked for without waiting for them."""

    def __init__(self, target):
        super().__init__(target["host"], target["port"], 60)
        self.startup(target["user"], target["database"], target["password"])
        self.busy = None                # the step it is at

    def begin_query(self, step, sql):
        self.busy, self.results, self.current, self.error = step, [], pgwire.Result(), None
        self.send(b"Q", pgwire.cstr(sql))

    def poll(self, seconds):
        """True if the answer is there."""
        while True:
            while len(self.buffer) >= 5:
                size = int.from_bytes(self.buffer[1:5], "big")
                if len(self.buffer) < size + 1:
                    break
                message = self.receive()
                if message.type == "T":
                    self.current.columns = pgwire.parse_row_description(message.body)
                elif message.type == "D":
                    self.current.rows.append(pgwire.parse_data_row(message.body, self.current.columns))
                elif message.type in "CI":
                    self.current.tag = message.body[:-1].decode() if message.type == "C" else ""
                    self.results.append(self.current)
                    self.current = pgwire.Result()
                elif message.type == "E":
                    self.error = self.error or pgwire.Error(pgwire.parse_fields(message.body))
                elif message.type == "Z":
                    self.busy = None
                    return True
            if not select.select([self.sock], [], [], seconds)[0]:
                return False
            data = self.sock.recv(65536)
            if not data:
                raise pgwire.ConnectionLost("the server closed the connection")
            self.buffer += data


class Runner:
    def __init__(self, target):
        self.target = target
        self.control = pgwire.connect(**target, timeout=60)
        self.server = "tusk" if "Tusk" in self.control.rows("select version()")[0][0] else "postgres"
        self.sessions = []
        self.level = None
        self.settings = []
        self.how = self.find_detector()
        self.oracle = {}

    def find_detector(self):
        pid = self.control.pid
        for name, sql in (
                ("function", "select pg_isolation_test_session_is_blocked(%s, '{%s}')"),
                ("activity", "select count(*) > 0 from pg_stat_activity where pid = %s "
                             "and wait_event_type = 'Lock'"),
                ("locks", "select count(*) > 0 from pg_locks where pid = %s and not granted")):
            try:
                self.control.query(sql.replace("%s", str(pid)))
                return name, sql
            except pgwire.Error:
                continue
        return "time", None

    def close(self):
        for session in self.sessions + [self.control]:
            session.close()

    def is_blocked(self, session):
        """Does it wait for a lock? Asked twice, since who was just woken may not know yet."""
        name, sql = self.how
        if name == "time":
            return True
        for _ in range(2):
            text = sql % (session.pid, ",".join(str(s.pid) for s in self.sessions)) \
                if name == "function" else sql % session.pid
            if self.control.rows(text)[0][0] != "t":
                return False
            time.sleep(0.001)
        return True

    def settle(self, session):
        """Until its step is done (True) or waits for a lock (False)."""
        if self.how[0] == "time":
            return session.poll(0.3)
        end = time.monotonic() + STUCK_SECONDS
        pause = 0.002
        while not session.poll(pause):
            if self.is_blocked(session):
                return session.poll(0)
            if time.monotonic() > end:
                raise RuntimeError(f"step {session.busy} neither ends nor waits for a lock")
            pause = min(pause * 2, 0.05)
        return True

    def prepare(self, spec, level):
        """Sessions with this level, as many as the spec has."""
        while len(self.sessions) < len(spec.sessions):
            self.sessions.append(Session(self.target))
            with contextlib.suppress(pgwire.Error):
                self.sessions[-1].query("set deadlock_timeout = '10ms'")
            self.level = None
        if level != self.level:
            for session in self.sessions:
                session.query(f"set default_transaction_isolation = '{level}'")
        self.level = level
        for setting in self.settings:
            for session in self.sessions:
                with contextlib.suppress(pgwire.Error):
                    session.query("reset " + setting.partition("=")[0])
        self.settings = spec.settings
        for setting in self.settings:
            for session in self.sessions:
                with contextlib.suppress(pgwire.Error):
                    session.query("set " + setting)

    def execute(self, spec, steps, log=None):
        """One permutation. None if it cannot be: a session must go on while it waits."""
        self.transaction_end()
        for sql in spec.setup:
            self.control.query(sql)
        used = {spec.step_session[step] for step in steps}
        results, tags, waited, owner = {}, {}, set(), spec.step_session
        out = log.append if log is not None else lambda line: None
        for index in sorted(used):
            if spec.sessions[index][1]:
                self.sessions[index].query(spec.sessions[index][1])

        def finished(step, was_waiting):
            session = self.sessions[owner[step]]
            error = session.error
            results[step] = error if error else [row for one in session.results for row in one.rows]
            tags[step] = [one.tag for one in session.results]
            if was_waiting:
                out(f"step {step}: <... completed>")
            if error:
                out(f"{error.severity}:  {error.message}")
            elif log is not None:
                for one in session.results:
                    if one.columns:
                        out(picture(one))

        def look_at_others(but):
            for index in sorted(used):
                other = self.sessions[index]
                if other.busy and other is not but:
                    step = other.busy
                    if self.settle(other):
                        finished(step, True)

        possible = True
        for step in steps:
            session = self.sessions[owner[step]]
            if session.busy:
                possible = False
                break
            session.begin_query(step, spec.step_sql[step])
            if self.settle(session):
                out(f"step {step}: {spec.step_sql[step]}")
                finished(step, False)
            else:
                waited.add(step)
                out(f"step {step}: {spec.step_sql[step]} <waiting ...>")
            look_at_others(session)
        end = time.monotonic() + STUCK_SECONDS
        while any(self.sessions[i].busy for i in used):
            if not possible:
                for i in used:
                    if self.sessions[i].busy:
                        self.sessions[i].cancel()
                for i in used:
                    if self.sessions[i].busy and not self.sessions[i].poll(STUCK_SECONDS):
                        raise RuntimeError(f"{spec.name}: {steps}: cannot be cancelled")
                break
            look_at_others(None)
            if time.monotonic() > end:
                raise RuntimeError(f"{spec.name}: {steps}: waits for ever")
        state = None
        if possible:
            for index in sorted(used):
                if spec.sessions[index][3]:
                    with contextlib.suppress(pgwire.Error):
                        self.sessions[index].query(spec.sessions[index][3])
        self.transaction_end()
        if possible and spec.state:
            state = self.control.rows(spec.state)
        for sql in spec.teardown:
            self.control.query(sql)
        if not possible:
            return None
        return Outcome(spec, steps, results, tags, waited, state)

    def transaction_end(self):
        for session in self.sessions:
            if session.status != "I":
                session.query("rollback")

    # ---- the oracle

    def serial_outcomes(self, spec, sessions):
        """Each order of these sessions, one after the other."""
        key = (spec.path, self.level, tuple(sorted(sessions)))
        if key not in self.oracle:
            self.oracle[key] = []
            for order in itertools.permutations(sorted(sessions)):
                steps = [step for index in order for step, _ in spec.sessions[index][2]]
                self.oracle[key].append(self.execute(spec, steps))
        return self.oracle[key]

    def is_serial(self, spec, outcome):
        """Is there an order in which all answers, and the state, would have been the same?"""
        committed = outcome.committed()
        # What was to be tried again and was undone to a savepoint instead has no answer.
        undone = {step for step, result in outcome.results.items()
                  if isinstance(result, pgwire.Error) and result.sqlstate in RETRY}
        mine = outcome.picture(committed, undone)
        return any(mine == other.picture(committed, undone)
                   for other in self.serial_outcomes(spec, committed))


def picture(result):
    """As psql would print it, which is what isolationtester's expected files hold."""
    names = [column.name for column in result.columns]
    rows = [["" if value is None else str(value) for value in row] for row in result.rows]
    numeric = [column.type_oid in (20, 21, 23, 26, 700, 701, 1700) for column in result.columns]
    widths = [max([len(name)] + [len(row[i]) for row in rows]) for i, name in enumerate(names)]
    lines = ["|".join(name.rjust(width) if number else name.ljust(width)
                      for name, width, number in zip(names, widths, numeric))]
    lines.append("+".join("-" * width for width in widths))
    for row in rows:
        lines.append("|".join(value.rjust(width) if number else value.ljust(width)
                              for value, width, number in zip(row, widths, numeric)))
    lines.append(f"({len(rows)} row{'' if len(rows) == 1 else 's'})")
    return "\n".join(lines) + "\n"


class Outcome:
    def __init__(self, spec, steps, results, tags, waited, state):
        self.spec, self.steps, self.results, self.tags, self.waited, self.state = \
            spec, steps, results, tags, waited, state

    def failed(self):
        """Sessions that were told to try again, and how."""
        return {self.spec.step_session[step]: error.sqlstate for step, error in self.results.items()
                if isinstance(error, pgwire.Error) and error.sqlstate in RETRY}

    def codes(self):
        return {error.sqlstate for error in self.results.values() if isinstance(error, pgwire.Error)
                and error.sqlstate != "25P02"}

    def committed(self):
        """Sessions whose work counts: those that committed, or were not told to try again, nor rolled
        back on their own."""
        failed = self.failed()
        counted = set()
        for index, (_, _, steps, _) in enumerate(self.spec.sessions):
            ran = [step for step, _ in steps if step in self.results]
            ended = any(re.search(r"\b(commit|rollback(?!\s+to)|abort)\b", self.spec.step_sql[step], re.I)
                        for step in ran)
            if any("COMMIT" in self.tags[step] for step in ran) if ended else \
                    ran and index not in failed:
                counted.add(index)
            elif ended and any(re.search(r"\bcommit\b", self.spec.step_sql[step], re.I)
                               for step in ran) and index not in failed:
                counted.add(index)      # an error of another kind: that it came must be explained, too
        return counted

    def picture(self, sessions, skipped=()):
        answers = []
        for index in sorted(sessions):
            for step, _ in self.spec.sessions[index][2]:
                if step in skipped:
                    continue
                result = self.results.get(step)
                answers.append((step, result.sqlstate if isinstance(result, pgwire.Error)
                                else sorted(result or [], key=repr)))
        return answers, self.state

    def values(self):
        """For `seen:`."""
        return {step: result.sqlstate if isinstance(result, pgwire.Error) else result
                for step, result in self.results.items()}


# ---- a spec at a level --------------------------------------------------------------------------

class Summary:
    """Over all permutations."""

    def __init__(self):
        self.count = self.impossible = 0
        self.seen, self.failing, self.waiting = [], [], []
        self.codes = set()
        self.not_serial = []


def judge(runner, spec, outcome):
    if spec.seen:
        names = {"r": outcome.values(), "s": outcome.state, "failed": set(outcome.failed().values()),
                 "steps": outcome.steps}
        return bool(eval(spec.seen, {"__builtins__": {"len": len, "sum": sum, "int": int, "any": any,
                                                      "all": all, "set": set, "sorted": sorted,
                                                      "isinstance": isinstance, "list": list,
                                                      "str": str, "max": max}, **names}))
    return spec.state is not None and not runner.is_serial(spec, outcome)


def run_spec(runner, spec, level, limit=0, seed=1, transcript=False):
    runner.prepare(spec, level)
    summary = Summary()
    for steps in spec.chosen(limit, seed):
        log = [] if transcript else None
        outcome = runner.execute(spec, steps, log)
        if transcript:
            print("\nstarting permutation: " + " ".join(steps))
            print("\n".join(log))
        if outcome is None:
            summary.impossible += 1
            continue
        summary.count += 1
        seen = judge(runner, spec, outcome)
        if seen:
            summary.seen.append(steps)
        if level == "serializable" and spec.state and not runner.is_serial(spec, outcome):
            summary.not_serial.append(steps)
        if outcome.codes():
            summary.failing.append(steps)
            summary.codes |= outcome.codes()
        if outcome.waited:
            summary.waiting.append(steps)
    return summary


def verify(checks, spec, level, server, summary, partial):
    """`partial`: only some permutations ran, so what should happen at least once may not have."""
    wish = spec.expectation(level, server)
    name = f"{spec.name}, {level}, {server}"

    def compare(what, wanted, found):
        if wanted == "no":
            checks.check(f"{name}: {what} was not to be", not found, " ".join(map(str, found[:1])))
        elif wanted == "yes":
            checks.check(f"{name}: {what} was to be", bool(found) or partial)

    if "seen" in wish:
        compare("the anomaly", wish["seen"], summary.seen)
    if "waits" in wish:
        compare("waiting", wish["waits"], summary.waiting)
    if "fails" in wish:
        how, codes = wish["fails"]
        compare("failing", how, summary.failing)
        checks.check(f"{name}: no failures but {'/'.join(sorted(codes)) or 'none'}",
                     summary.codes <= codes, f"{summary.codes}")
    if level == "serializable" and wish.get("seen") != "may":
        checks.check(f"{name}: like a serial execution", not summary.not_serial,
                     " ".join(summary.not_serial[0]) if summary.not_serial else "")
    checks.check(f"{name}: permutations that can be", summary.count > 0)


# ---- the command --------------------------------------------------------------------------------

@contextlib.contextmanager
def spawn(kind, build="release"):
    """A server of our own, as connection arguments."""
    server = postgres.Postgres({"fsync": "off", "shared_buffers": "64MB"}) if kind == "postgres" \
        else Server(build)
    with server:
        yield {"host": "127.0.0.1", "port": server.port, "user": "postgres",
               "database": "postgres", "password": None}


def add_arguments(parser):
    parser.add_argument("--spawn", metavar="BUILD", help="our tuskd of that build")
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL 15 of our own")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5433)
    parser.add_argument("--user", default="postgres")
    parser.add_argument("--database", default="postgres")
    parser.add_argument("--password")


@contextlib.contextmanager
def chosen_server(options):
    if options.spawn or options.postgres:
        with spawn("postgres" if options.postgres else "tusk", options.spawn) as target:
            yield target
    else:
        yield {name: getattr(options, name)
               for name in ("host", "port", "user", "database", "password")}


def spec_files(paths):
    paths = paths or [os.path.join(HERE, "specs")]
    return [Spec(file) for path in paths
            for file in (sorted(glob.glob(f"{path}/*.spec")) if os.path.isdir(path) else [path])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--level", action="append", choices=LEVELS)
    parser.add_argument("--limit", type=int, default=0, help="permutations of a spec at a level")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--transcript", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("specs", nargs="*")
    options = parser.parse_args()
    checks = Checks()
    with chosen_server(options) as target:
        runner = Runner(target)
        if not options.transcript:
            print(f"{runner.server}, blocked steps told by {runner.how[0]}", flush=True)
        for spec in spec_files(options.specs):
            for level in options.level or spec.only or LEVELS[1:]:
                if spec.only and level not in spec.only:
                    continue
                try:
                    summary = run_spec(runner, spec, level, options.limit, options.seed,
                                       options.transcript)
                except (pgwire.Error, RuntimeError) as error:
                    checks.check(f"{spec.name}, {level}", False, str(error))
                    runner.close()
                    runner = Runner(target)
                    for sql in spec.teardown:
                        with contextlib.suppress(pgwire.Error):
                            runner.control.query(sql)
                    continue
                if options.verbose:
                    print(f"{spec.name:28} {level:16} {summary.count:4} permutations, "
                          f"{len(summary.seen)} seen, {len(summary.failing)} failing "
                          f"{'/'.join(sorted(summary.codes))}, {len(summary.waiting)} waiting, "
                          f"{summary.impossible} impossible", flush=True)
                if not options.transcript:
                    verify(checks, spec, level, runner.server, summary, bool(options.limit))
        runner.close()
    return checks.done() if not options.transcript else 0


if __name__ == "__main__":
    sys.exit(main())
