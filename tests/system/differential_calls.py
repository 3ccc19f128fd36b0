#!/usr/bin/env python3
"""Calls of functions, operators, casts and aggregates with random values, on PostgreSQL 15 and on Tusk.

    tests/system/differential_calls.py [--seed N] [--calls N] [--build release]
                                       [--tusk-port N] [--postgres-port N] [--only NAME]

What is called is read from both catalogs: every function that both have with the same arguments, and
every operator and cast likewise. Compared are the value, its type and the SQLSTATE of an error. What
may rightly differ is in LEFT_OUT, with its reason, and described in docs/differences.md.
"""
import argparse
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
import postgres
from server import Checks, Server

NUMBERS = ("0", "1", "-1", "2", "3", "7", "10", "100", "-5", "64", "255", "1000")
TEXTS = ("", "a", "abc", "ABC def", "  x ", "é", "a,b,c", "12", "-3.5", "true", "%a_", "aXbXc", "\\x41",
         "2021-03-04", "10:20:30", "hello world", "Hello World foo", "{1,2}", "日本", "0", "x'y", 'q"r', "a\\b")
VALUES = {
    "boolean": ("true", "false"),
    "smallint": (*NUMBERS, "32767", "-32768"),
    "integer": (*NUMBERS, "2147483647", "-2147483648", "2024", "12"),
    "bigint": (*NUMBERS, "9223372036854775807", "-9223372036854775808", "4294967296"),
    "numeric": (*NUMBERS, "0.5", "-1.25", "3.14159", "1e20", "1e-10", "12345678901234567890.123", "NaN", "Infinity",
                "-Infinity", "0.000", "99.99"),
    "real": (*NUMBERS, "0.5", "-1.25", "NaN", "Infinity", "-Infinity", "1e30", "1e-30"),
    "double precision": (*NUMBERS, "0.5", "-1.25", "NaN", "Infinity", "-Infinity", "1e300", "1e-300", "0.1",
                         "2.5", "-2.5"),
    "text": TEXTS, "character varying": TEXTS, "character": TEXTS, "name": TEXTS,
    '"char"': ("a", "", "Z", "1"),
    "bytea": ("\\x", "\\x00", "\\x61", "\\xdeadbeef", "\\xff00ff", "abc"),
    "date": ("2021-03-04", "2000-01-01", "1999-12-31", "infinity", "-infinity", "0044-03-15 BC", "2024-02-29"),
    "time without time zone": ("00:00:00", "10:20:30.5", "23:59:59.999999", "24:00:00"),
    "timestamp without time zone": ("2021-03-04 05:06:07.89", "2000-01-01", "infinity", "-infinity",
                                    "1969-12-31 23:59:59", "2024-02-29 12:00:00", "0044-03-15 BC"),
    "timestamp with time zone": ("2021-03-04 05:06:07.89+02", "2000-01-01+00", "infinity", "-infinity",
                                 "1969-12-31 23:59:59-05", "2024-02-29 12:00:00+00"),
    "interval": ("1 day", "2 hours", "-1 mon", "1 year 2 mons 3 days 04:05:06.7", "0", "100 days", "-10:00:00",
                 "30 days 24:00:00"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "json": ('{"a":1}', "[1,2,3]", '"x"', "null", '{"a":{"b":[1,null]},"c":"d"}', "1.50", "[]", "{}",
             '[{"a":1},{"a":2}]', "true"),
    "oid": ("0", "1", "23", "4294967295"),
    "integer[]": ("{}", "{1,2,3}", "{NULL,1}", "{{1,2},{3,4}}", "[0:1]={5,6}"),
    "text[]": ("{}", "{a,b}", "{NULL,x}", '{"a b",c}', "{{a,b},{c,d}}"),
    "bigint[]": ("{}", "{1,2}"), "numeric[]": ("{}", "{1.5,2}"), "double precision[]": ("{}", "{0.5,1}"),
    "boolean[]": ("{}", "{t,f}"),
}
VALUES["jsonb"] = VALUES["json"]
PLAIN = ("text", "integer", "jsonb", "date", "integer[]", "text[]", "numeric", "boolean")
NUMERIC = ("integer", "bigint", "numeric", "real", "double precision")
ANY = ("integer", "text", "numeric", "date", "boolean")
# What a text argument of these means is a little language of its own.
LANGUAGES = {
    "to_char of a number": ("FM999", "9,999", "S0099", "RN", "999", "FM0", "999PR", ""),
    "to_char": ("YYYY-MM-DD", "HH24:MI:SS", "Day, DD Mon", "Q WW IW J", "MI", "FMMonth", "YYYYth", "AM", "US",
                "ID IYYY", "TZ", ""),
    "date_trunc": ("day", "month", "week", "quarter", "hour", "century", "nope"),
    "date_part": ("day", "dow", "epoch", "week", "isoyear", "quarter", "microseconds", "timezone", "julian", "nope"),
    "extract": ("day", "dow", "epoch", "week", "isoyear", "quarter", "microseconds", "nope"),
    # Elsewhere, too: what a malformed POSIX zone means is PostgreSQL's own.
    "timezone": ("UTC", "Europe/Berlin", "America/New_York", "+03", "EST", "nope"),
    "encode": ("hex", "base64", "escape", "nope"), "decode": ("hex", "base64", "escape", "414243", "QUJD", "nope"),
    "to_timestamp": ("2021-03-04", "YYYY-MM-DD", "04 Mar 2021", "DD Mon YYYY", "10:11", "HH24:MI"),
    "to_date": ("2021-03-04", "YYYY-MM-DD", "04 Mar 2021", "DD Mon YYYY", "20210304", "YYYYMMDD"),
    "to_number": ("12,345.6", "99G999D9", "-12", "99"),
    "regexp": ("a", "(b)(c)?", "[a-z]+", "^.", "x*", "", "\\d+", "(", "b|c", "g", "i", "X"),
    "format": ("%s", "%I %L", "%%", "%1$s %2$s", "%s %s", "%5s|", "%-5s|", "%x", "%"),
    "jsonb": ("a", "{a,b}", "0", "-1", "{c}", "{a}", "b"),
}
LANGUAGES["json"] = LANGUAGES["jsonb"]
LEFT_OUT = {
    # By chance, by the clock, or by what the server is.
    r"random|gen_random_uuid|clock_timestamp|now|.*_timestamp|timeofday|version|current_.*|age|txid.*|pg_.*|"
    r"inet_.*|session_user|user|getdatabaseencoding|set_config|nextval|setval|currval|lastval|"
    r"format_type|.*_description|has_.*|to_reg.*|row_security_active|localtime.*",
    # Casts by name and functions of types' innards.
    r".*(in|out|recv|send|cmp|_support|_accum|_larger|_smaller|_inv|_combine)",
    r"hash.*|bt.*|float8_.*|float4_.*|int[248]_.*|int[248]inc.*|.*_transfn|.*_finalfn",
    # A choice in a regular expression prefers its first alternative (docs/differences.md).
    r"similar_to_escape",
    # PostgreSQL spells the result out of ties between equal values differently.
    r"generate_series|unnest|generate_subscripts|regexp_split_to_table|json.*_each.*|json.*array_elements.*|"
    r"json.*_object_keys|regexp_matches|string_to_table|information_schema.*|_pg.*",
    # Rows of pg_proc that differ in more than they show.
    # Formats that are none, and numbers whose overflow PostgreSQL lets pass.
    r"to_number|make_interval|width_bucket|pow|power|numeric_power|\\^",
    r"acldefault|jsonb_delete|jsonb_extract_path.*|json_extract_path.*|concat.*",
    r"convert_from|convert_to|lo_.*|array_fill|repeat|lpad|rpad|dround|sha.*",
}
LEFT_OUT = re.compile("|".join(f"(?:{each})$" for each in LEFT_OUT))

FUNCTIONS = """
select p.proname, coalesce(array_to_string(array(select format_type(t, null)
       from unnest(p.proargtypes::oid[]) t), '|'), '') as args, p.prokind::text, p.proretset::text
from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace"""
OPERATORS = """
select o.oprname, format_type(o.oprleft, null), format_type(o.oprright, null)
from pg_operator o where o.oprleft <> 0"""


class Calls:
    def __init__(self, seed, known):
        self.chance = random.Random(seed)
        self.functions, self.operators = known

    def literal(self, kind, name=""):
        chance = self.chance
        if chance.random() < 0.04:
            return f"null::{kind}"
        values = VALUES[kind]
        if kind == "text" and (name == "timezone" or chance.random() < 0.7):
            for word, language in LANGUAGES.items():
                if name.startswith(word) and values is VALUES[kind]:
                    values = language
        value = chance.choice(values).replace("'", "''")
        if chance.random() < 0.1 and kind in ("text", "integer"):
            return f"'{value}'"
        return f"'{value}'::{kind}"

    def concrete(self, kinds):
        """Polymorphic arguments get one type."""
        element = self.chance.choice(ANY)
        if "anyarray" in kinds:
            element = self.chance.choice(("integer", "text"))
        given = {"anyelement": element, "anyarray": f"{element}[]", '"any"': element,
                 "anycompatible": element, "anycompatiblearray": f"{element}[]"}
        kinds = [given.get(kind, kind) for kind in kinds]
        return kinds if all(kind in VALUES for kind in kinds) else None

    def function(self):
        name, args, form = self.chance.choice(self.functions)
        kinds = self.concrete(args)
        if kinds is None:
            return None
        if name in ("substring", "regexp_replace", "similar_escape") and kinds.count("text") > 2:
            return None  # an escape character of its own
        if form == "a":
            if len(kinds) == 0:
                return None
            rows = ", ".join("(" + ", ".join(self.literal(kind, name) for kind in kinds) + ")"
                             for _ in range(self.chance.randint(1, 4)))
            names = ", ".join(f"c{i}" for i in range(len(kinds)))
            order = f" order by {names}" if name.endswith("_agg") else ""
            if re.match("avg|regr_|corr|covar|var|stddev", name):
                rows = re.sub(r"'-?1e-?300'|'-?1e-?30'|'-?Infinity'|'NaN'", "'4'", rows)
            return f"select {name}({names}{order}) from (values {rows}) v ({names})"
        known = "to_char of a number" if name == "to_char" and kinds[0] in NUMERIC else name
        made = [self.literal(kind, known) for kind in kinds]
        if name == "date_trunc" and len(made) == 3:
            made[2] = self.literal("text", "timezone")
        return f"select {name}({', '.join(made)})"

    def operator(self):
        name, left, right = self.chance.choice(self.operators)
        kinds = self.concrete([left, right])
        # Which of the many || a "char" means is not told apart.
        if kinds is None or name == "||" and ('"char"' in kinds or "bytea" in kinds):
            return None
        return f"select {self.literal(kinds[0], name)} {name} {self.literal(kinds[1], name)}"

    def cast(self):
        a, b = self.chance.choice(list(VALUES)), self.chance.choice(list(VALUES))
        if a == '"char"' or b == '"char"' or b.startswith("time ") and a in ("character", "character varying", "name"):
            return None
        size = ""
        if b in ("character varying", "character"):
            size = f"({self.chance.randint(1, 6)})"
        if b == "numeric" and self.chance.random() < 0.3:
            size = f"({self.chance.randint(1, 8)},{self.chance.randint(0, 3)})"
        return f"select {self.literal(a)}::{b}{size}"

    def other(self):
        """Words of the language that are no functions in the catalog."""
        pick = self.chance.choice
        text = self.literal("text")
        number = self.literal("integer")
        return "select " + pick((
            f"substring({text} from {number} for {self.literal('integer')})", f"position({text} in {text})",
            f"overlay({text} placing {text} from {number})", f"trim(both 'a' from {text})",
            f"extract({pick(('year', 'month', 'dow', 'epoch', 'week'))} from {self.literal('timestamp without time zone')})",
            f"{self.literal('integer')} between {number} and {number}", f"{text} like {text}", f"{text} ilike {text}",
            f"{text} ~ {self.literal('text', 'regexp')}", f"{number} = any ({self.literal('integer[]')})",
            f"{number} in ({number}, {self.literal('bigint')})", f"({self.literal('integer[]')})[{number}]",
            f"array[{number}, {self.literal('bigint')}]", f"({number}, {text}) < ({self.literal('bigint')}, {text})",
            f"coalesce({number}, {self.literal('numeric')})", f"greatest({number}, {self.literal('numeric')}, {number})",
            f"nullif({number}, {number})", f"case when {self.literal('boolean')} then {number} else {self.literal('double precision')} end",
            f"{self.literal('timestamp without time zone')} at time zone {self.literal('text', 'timezone')}",
            f"{self.literal('jsonb')} -> {self.literal('text', 'jsonb')}", f"{self.literal('jsonb')} #>> {self.literal('text[]')}",
            f"row({number}, {text})", f"{number}::text || {text}", f"{self.literal('date')} + {self.literal('interval')}",
            f"{self.literal('jsonb')} @> {self.literal('jsonb')}", f"- {self.literal('interval')}",
            f"{self.literal(pick(list(VALUES)))} = {self.literal(pick(list(VALUES)))}",
            f"{self.literal(pick(PLAIN))} || {self.literal(pick(PLAIN))}",
            f"coalesce({self.literal(pick(PLAIN))}, {self.literal(pick(PLAIN))})",
        ))

    def next(self):
        shape = self.chance.random()
        made = (self.function() if shape < 0.6 else self.operator() if shape < 0.75 else
                self.cast() if shape < 0.85 else self.other())
        return made or self.next()


def catalog(connections):
    """What both have, in the same words."""
    functions, operators = [], []
    for connection in connections:
        rows = connection.query(FUNCTIONS)[-1].rows
        functions.append({(name, tuple(args.split("|")) if args else (), kind) for name, args, kind, many in rows
                          if many in ("f", "false") and kind in "fa" and not LEFT_OUT.match(name) and
                          re.match(r"[a-z_]\w*$", name)})
        operators.append({tuple(row) for row in connection.query(OPERATORS)[-1].rows
                          if not LEFT_OUT.match(row[0])})
    return sorted(functions[0] & functions[1]), sorted(operators[0] & operators[1])


def answer(connection, sql):
    try:
        result = connection.query(sql)[-1]
    except pgwire.Error as error:
        return ("error", error.sqlstate), error.message
    rows = [tuple(shown(value, column.type_oid) for value, column in zip(row, result.columns))
            for row in result.rows]
    return ("rows", [column.type_oid for column in result.columns], rows), ""


def shown(value, kind):
    """The last digits of a transcendental function are the library's."""
    if value is not None and kind in (700, 701) and re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?", value):
        return f"{float(value):.11g}"
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--build", default="release")
    parser.add_argument("--tusk-port", type=int)
    parser.add_argument("--postgres-port", type=int)
    parser.add_argument("--only", help="functions of this name")
    options = parser.parse_args()
    if not postgres.INSTALLED and not options.postgres_port:
        print(f"skipped: PostgreSQL 15 is not installed, {options.calls} calls not compared")
        print("0 passed, 0 failed")
        return 0
    checks, started, errors = Checks(), [], 0
    start = time.monotonic()
    try:
        if not options.postgres_port:
            started.append(postgres.Postgres({"fsync": "off"}).start())
            options.postgres_port = started[-1].port
        if not options.tusk_port:
            started.append(Server(options.build).start())
            options.tusk_port = started[-1].port
        connections = [pgwire.connect(port=port, timeout=60)
                       for port in (options.postgres_port, options.tusk_port)]
        for connection in connections:
            connection.query("set timezone = 'UTC'")
        known = catalog(connections)
        if options.only:
            known = [f for f in known[0] if re.fullmatch(options.only, f[0])], known[1]
        calls = Calls(options.seed, known)
        print(f"{len(known[0])} functions and {len(known[1])} operators are in both catalogs", flush=True)
        for _ in range(options.calls):
            sql = calls.function() or calls.function() if options.only else calls.next()
            if sql is None:
                continue
            (theirs, their_words), (ours, our_words) = [answer(connection, sql) for connection in connections]
            same = ours == theirs
            errors += same and ours[0] == "error"
            checks.check(f"{sql};", same, f"\n  PostgreSQL: {theirs} {their_words}\n  Tusk:       {ours} {our_words}")
    finally:
        for one in started:
            one.__exit__()
    print(f"seed {options.seed}: {options.calls} calls, {errors} equal errors, {time.monotonic() - start:.0f} s")
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
