#!/usr/bin/env python3
"""Random statements over random tables, run on PostgreSQL 15 and on Tusk: the answers must be equal.

    tests/system/differential.py [--seed N] [--rounds N] [--statements N] [--build release]
                                 [--tusk-port N] [--postgres-port N] [--setting NAME=VALUE]

A round makes its own tables from its seed, so a failure is found again with --seed and --rounds 1.
Compared are the rows (as a set where the statement does not order them wholly), the types of the
columns, the tag, and the SQLSTATE of an error. The generator keeps clear of what may rightly differ:
sums of floats that depend on order, errors that depend on which rows are looked at first.
"""
import argparse
import os
import random
import re
import sys
import time
from decimal import Decimal

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
import postgres
from server import Checks, Server

TYPES = ("int", "bigint", "numeric", "float8", "text", "boolean", "date", "timestamp", "smallint",
         "real", "varchar(5)", "char(4)", "bytea", "timestamptz", "uuid", "interval", "dmood", "int[]", "jsonb")
# Most expressions are of these.
COMMON = TYPES[:8]
NUMBERS = ("int", "bigint", "numeric", "float8", "smallint", "real")
NO_EXTREMES = ("boolean", "bytea", "uuid", "jsonb")
WORDS = ("", "a", "b", "ab", "abc", "B", "aa", "zz", "é", "a%", "x_y", "hello", "Hello")

# How an expression of a type is made of others; a word in braces is an expression of that type.
TEMPLATES = {
    "int": ("({int} + {-})", "({int} - {-})", "({int} * {-})", "({int} % {1-9})", "({int} / {1-9})",
            "abs({int})", "length({text})", "(- {int})", "{boolean}::int", "strpos({text}, {text})",
            "({date} - {date})"),
    "bigint": ("({bigint} + {int})", "({bigint} - {int})", "({bigint} % {1-9})", "{int}::bigint",
               "abs({bigint})", "({bigint} / {1-9})"),
    "numeric": ("({numeric} + {numeric})", "({numeric} - {numeric})", "({numeric} * {-})",
                "({numeric} * 1.5)", "({numeric} / {1-9})", "round({numeric}, {0-3})",
                "round({numeric})", "{int}::numeric", "floor({numeric})", "ceil({numeric})",
                "({numeric} + {int})", "abs({numeric})", "trunc({numeric}, 1)", "({numeric} % 1.5)",
                "{numeric}::numeric(14,1)", "({numeric} / 0.7)"),
    "float8": ("({float8} + {float8})", "({float8} - {float8})", "{int}::float8", "abs({float8})",
               "floor({float8})", "({float8} * 2)", "({float8} + {int})", "round({float8})",
               "({float8} / 3)"),
    "text": ("({text} || {text})", "upper({text})", "lower({text})", "{int}::text",
             "substr({text}, {1-9})", "replace({text}, 'a', 'q')", "{numeric}::text",
             "left({text}, {0-3})", "{boolean}::text", "trim({text})", "({text} || {int})",
             "lpad({text}, 4, '*')", "{text}::varchar(2)::text", "repeat({text}, 2)",
             "concat({text}, {int})", "reverse({text})", "{float8}::text", "{date}::text",
             "right({text}, {0-3})", "split_part({text}, 'b', 1)", "{timestamp}::text"),
    "boolean": ("",),
    "date": ("({date} + {int} % 100)", "{timestamp}::date", "({date} - {1-9})"),
    "timestamp": ("{date}::timestamp", "date_trunc('day', {timestamp})", "{timestamp}",
                  "({timestamp} + {interval})", "({date} + {interval})"),
    "smallint": ("abs({smallint})", "({int} % 100)::smallint", "{smallint}"),
    "real": ("abs({real})", "{smallint}::real", "(- {real})"),
    "varchar(5)": ("{text}::varchar(5)", "{char(4)}::varchar(5)", "{varchar(5)}"),
    "char(4)": ("{text}::char(4)", "{char(4)}"),
    "bytea": ("({bytea} || {bytea})", "{bytea}", "substring({bytea}, 1, 2)"),
    "timestamptz": ("{timestamp}::timestamptz", "{timestamptz}", "date_trunc('month', {timestamptz})"),
    "uuid": ("{uuid}",),
    "interval": ("({timestamp} - {timestamp})", "(- {interval})", "({interval} * 2)"),
    "dmood": ("{dmood}", "{dmood}::text::dmood", "greatest({dmood}, 'mid')"),
    "int[]": ("({int[]} || {int})", "({int} || {int[]})", "array[{int}, {int}]", "array_remove({int[]}, {int})"),
    "jsonb": ("({jsonb} || {jsonb})", "to_jsonb({int})", "jsonb_build_object('k', {text})", "({jsonb} -> 'a')",
              "to_jsonb({text})", "jsonb_build_array({int}, {boolean})"),
}


class Generator:
    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.tables = {}        # name: [(column, type)]
        self.keys = {}          # name: its key column, or None
        self.params = False     # make parameters, first as <<value>>
        self.aliases = 0

    def maybe(self, probability):
        return self.chance.random() < probability

    def one(self, *choices):
        return self.chance.choice(choices)

    def alias(self):
        self.aliases += 1
        return f"t{self.aliases}"

    # ---- tables

    def value(self, kind):
        """A constant as text inside its quotes, or None."""
        chance = self.chance
        if kind == "int":
            return str(chance.randint(-9, 20))
        if kind == "bigint":
            return str(chance.choice((chance.randint(-5, 9), chance.randint(0, 9) * 10 ** 10)))
        if kind == "numeric":
            return chance.choice((f"{chance.randint(-500, 999) / 100:.2f}", str(chance.randint(0, 9)),
                                  "1.50", "0.001"))
        if kind == "float8":
            return str(chance.randint(-20, 40) / 4)
        if kind == "text":
            return chance.choice(WORDS)
        if kind == "boolean":
            return chance.choice(("true", "false"))
        if kind == "smallint":
            return str(chance.choice((0, 1, 2, 7, -3, 100, 32767, -32767)))
        if kind == "real":
            return str(chance.randint(-20, 40) / 4)
        if kind in ("varchar(5)", "char(4)"):
            return chance.choice([word for word in WORDS if len(word) <= 4])
        if kind == "bytea":
            return chance.choice(("\\x", "\\x00", "\\x0001", "\\xff", "\\x61", "\\xdeadbeef"))
        if kind == "uuid":
            return f"00000000-0000-4000-8000-00000000000{chance.randint(0, 9)}"
        if kind == "dmood":
            return chance.choice(("low", "mid", "high"))
        if kind == "int[]":
            return chance.choice(("{}", "{1}", "{1,2,3}", "{NULL,7}", "{-1,20}"))
        if kind == "jsonb":
            return chance.choice(("1", '{"a": 1}', '[1, 2]', '"x"', "null", '{"a": {"b": [1]}, "c": "d"}', "true"))
        if kind == "interval":
            return chance.choice(("1 day", "0", "2 hours", "-1 day", "1 mon", "24:00:00", "90 minutes"))
        day = f"{chance.randint(2020, 2023)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        if kind == "date":
            return day
        if kind == "timestamptz":
            return f"{day} {chance.randint(0, 23):02}:00:00+0{chance.randint(0, 3)}"
        return f"{day} {chance.randint(0, 23):02}:{chance.randint(0, 59):02}:00"

    def literal(self, kind, null=0.03):
        if self.maybe(null):
            return f"null::{kind}"
        value = self.value(kind)
        if self.params and self.maybe(0.4):
            return f"<<{value}>>::{kind}"
        if kind in ("int", "numeric") and self.maybe(0.8):
            return f"({value})" if value.startswith("-") else value
        if kind == "boolean":
            return value
        if kind == "text" and self.maybe(0.7):
            return f"'{value}'::text"
        return f"'{value}'::{kind}"

    def make_tables(self):
        statements = []
        for index in range(self.chance.randint(2, 4)):
            name = f"dt{index}"
            columns = [(f"c{i}", self.one(*TYPES)) for i in range(self.chance.randint(2, 6))]
            columns.insert(0, ("k", self.one("int", "int", "bigint", "text", "numeric", "date", *TYPES)))
            columns.append(("n", "int"))
            form = self.one("key", "key", "none", "two")
            parts = [f"{column} {kind}" for column, kind in columns]
            key = {"key": ["k"], "none": [], "two": [columns[1][0], "k"]}[form]
            if key:
                parts.append(f"primary key ({', '.join(key)})")
            statements.append(f"create table {name} ({', '.join(parts)})")
            self.tables[name], self.keys[name] = columns, key
            for number in range(self.chance.randint(0, 3)):
                used = self.chance.sample([c for c, _ in columns], self.chance.randint(1, 2))
                order = [c + self.one("", "", " desc", " nulls first") for c in used]
                statements.append(f"create index {name}_i{number} on {name} ({', '.join(order)})")
            for _ in range(self.chance.choice((0, 1, 5, 20, 60))):
                statements.append(self.insert(name))
        return statements

    def row(self, name):
        key = self.keys[name]
        return "(" + ", ".join(self.literal(kind, 0 if column in key else 0.15)
                               for column, kind in self.tables[name]) + ")"

    def insert(self, name):
        rows = ", ".join(self.row(name) for _ in range(self.chance.choice((1, 1, 1, 2, 4))))
        return f"insert into {name} values {rows}"

    # ---- expressions: scope is [(text, type)]

    def column(self, kind, scope):
        fitting = [text for text, of in scope if of == kind]
        return self.chance.choice(fitting) if fitting else None

    def expression(self, kind, scope, depth=2):
        column = self.column(kind, scope)
        if column and (depth <= 0 or self.maybe(0.5)):
            return column
        if depth <= 0 or self.maybe(0.15):
            return self.literal(kind)

        def sub(other, less=1):
            return self.expression(other, scope, depth - less)

        general = self.chance.random()
        if general < 0.08:
            return f"coalesce({sub(kind)}, {sub(kind)})"
        if general < 0.16:
            return f"case when {self.condition(scope, depth - 1)} then {sub(kind)} else {sub(kind)} end"
        if general < 0.19:
            return f"case {sub('int')} when 1 then {sub(kind)} when 2 then {sub(kind)} end"
        if general < 0.22:
            return f"nullif({sub(kind)}, {sub(kind)})"
        if general < 0.26 and kind != "boolean":
            return f"{self.one('greatest', 'least')}({sub(kind)}, {sub(kind)})"
        if general < 0.30 and self.tables:
            return self.scalar(kind, scope, depth)
        template = self.one(*TEMPLATES[kind])
        if kind == "boolean":
            return f"({self.condition(scope, depth - 1)})"
        template = template.replace("{-}", self.literal("int")) \
            .replace("{0-3}", str(self.chance.randint(0, 3))) \
            .replace("{1-9}", str(self.chance.randint(1, 9)))
        return re.sub(r"{([\w()\[\]]+)}", lambda match: sub(match[1]), template)

    def scalar(self, kind, scope, depth):
        """A subquery of exactly one row."""
        table, inner = self.table_scope()
        column = self.column(kind, inner)
        aggregate = self.one("min", "max")
        if kind in ("bigint",) and self.maybe(0.5):
            what = "count(*)"
        elif column and kind == "boolean":
            what = f"bool_or({column})"
        elif column and kind not in NO_EXTREMES:
            what = f"{aggregate}({column})"
        else:
            return self.literal(kind)
        return f"(select {what} from {table} where {self.condition(inner + scope, depth - 2)})"

    def table_scope(self):
        name = self.one(*self.tables)
        alias = self.alias()
        return f"{name} {alias}", [(f"{alias}.{column}", kind) for column, kind in self.tables[name]]

    def condition(self, scope, depth=2):
        if depth < 0:
            column = self.column("int", scope)
            return f"{column or 1} {self.one('=', '<', '>', '<>')} {self.literal('int')}"
        shape = self.chance.random()
        kind = self.one(*[of for _, of in scope] or COMMON)
        if self.maybe(0.015):
            # Of two types: there may be no such operator, or one after a cast.
            return (f"{self.expression(kind, scope, 0)} {self.one('=', '<', '>=')} "
                    f"{self.expression(self.one(*TYPES), scope, 0)}")
        if shape < 0.35:
            operator = self.one("=", "=", "=", "<", ">", "<=", ">=", "<>")
            left = self.column(kind, scope) or self.expression(kind, scope, depth - 1)
            right = self.literal(kind) if self.maybe(0.5) else self.expression(kind, scope, depth - 1)
            return f"{left} {operator} {right}"
        if shape < 0.42:
            return f"{self.expression(kind, scope, depth - 1)} is {self.one('', 'not ')}null"
        if shape < 0.50:
            values = ", ".join(self.literal(kind) for _ in range(self.chance.randint(1, 4)))
            return f"{self.expression(kind, scope, depth - 1)} {self.one('', 'not ')}in ({values})"
        if shape < 0.57:
            return (f"{self.expression(kind, scope, depth - 1)} {self.one('', 'not ')}between "
                    f"{self.literal(kind)} and {self.literal(kind)}")
        if shape < 0.62:
            pattern = self.one("a%", "%b", "%a%", "_", "__%", "%", "", "h_llo", "abc")
            return f"{self.expression('text', scope, depth - 1)} {self.one('', 'not ')}like '{pattern}'"
        if shape < 0.80:
            word = self.one("and", "and", "or")
            return (f"({self.condition(scope, depth - 1)} {word} {self.condition(scope, depth - 1)})")
        if shape < 0.84:
            return f"not ({self.condition(scope, depth - 1)})"
        if shape < 0.87:
            return (f"{self.expression(kind, scope, depth - 1)} is {self.one('', 'not ')}distinct from "
                    f"{self.expression(kind, scope, depth - 1)}")
        if shape < 0.89:
            return f"({self.condition(scope, depth - 1)}) is {self.one('', 'not ')}{self.one('true', 'false', 'unknown')}"
        return self.subquery(kind, scope, depth)

    def subquery(self, kind, scope, depth):
        """A condition over a subquery."""
        table, inner = self.table_scope()
        if self.maybe(0.2):
            other, others = self.table_scope()
            table, inner = self.one((f"{table}, {other}", inner + others),
                                    (f"{table} left join {other} on "
                                     f"{self.condition(inner + others, 0)}", inner + others))
        column = self.column(kind, inner)
        where = self.condition(inner + (scope if self.maybe(0.5) else []), depth - 2)
        outer = self.column(kind, scope)
        if column and outer and self.maybe(0.4):
            where = self.one(f"{column} = {outer}", f"{outer} = {column}",
                             f"{column} = {outer} and {self.condition(inner, 0)}")
            if self.maybe(0.25) and kind not in NO_EXTREMES and kind != "boolean":
                what = f"{self.one('min', 'max')}({self.column(kind, inner)})"
                return (f"{outer} {self.one('=', '<', '>=', '<>')} "
                        f"(select {what} from {table} where {where})")
        shape = self.chance.random() * 0.11 + 0.89
        if shape < 0.93 or not column:
            return f"{self.one('', 'not ')}exists (select 1 from {table} where {where})"
        left = self.column(kind, scope) or self.literal(kind)
        if shape < 0.97:
            return f"{left} {self.one('', 'not ')}in (select {column} from {table} where {where})"
        return (f"{left} {self.one('=', '<', '>=', '<>')} {self.one('any', 'all')} "
                f"(select {column} from {table} where {where})")

    # ---- queries

    def source(self, depth):
        """(text of FROM, scope)"""
        shape = self.chance.random()
        if depth > 0 and shape < 0.12:
            text, kinds = self.select(depth - 1)
            alias = self.alias()
            names = ", ".join(f"s{i}" for i in range(len(kinds)))
            return (f"({text}) {alias} ({names})",
                    [(f"{alias}.s{i}", kind) for i, kind in enumerate(kinds)])
        if shape < 0.18:
            alias = self.alias()
            low = self.chance.randint(-2, 3)
            return (f"generate_series({low}, {low + self.chance.randint(-1, 8)}) {alias} (g)",
                    [(f"{alias}.g", "int")])
        if shape < 0.22:
            alias = self.alias()
            kinds = [self.one(*TYPES) for _ in range(2)]
            rows = ", ".join("(" + ", ".join(self.literal(kind) for kind in kinds) + ")"
                             for _ in range(self.chance.randint(1, 3)))
            # The first row fixes the types.
            rows = f"(null::{kinds[0]}, null::{kinds[1]}), " + rows
            return (f"(values {rows}) {alias} (v0, v1)",
                    [(f"{alias}.v{i}", kind) for i, kind in enumerate(kinds)])
        return self.table_scope()

    def joined(self, depth):
        text, scope = self.source(depth)
        for _ in range(self.chance.choice((0, 0, 0, 1, 1, 2))):
            other, other_scope = self.source(depth - 1)
            both = scope + other_scope
            pairs = [(a, b) for a, x in scope for b, y in other_scope if x == y]
            how = self.one("join", "join", "left join", "left join", "right join", "full join", "cross")
            if how == "cross" or (how == "full join" and not pairs):
                text += f" cross join {other}"
            else:
                on = "true"
                if pairs and (how == "full join" or self.maybe(0.85)):
                    a, b = self.chance.choice(pairs)
                    on = f"{a} = {b}"
                    if self.maybe(0.2):
                        a, b = self.chance.choice(pairs)
                        on += f" and {a} = {b}"
                if self.maybe(0.25):
                    on += f" and {self.condition(both, 0)}"
                text += f" {how} {other} on {on}"
            scope = both
        return text, scope

    def aggregate(self, scope, depth):
        kind = self.one(*TYPES)
        inner = self.expression(kind, scope, depth)
        distinct = "distinct " if self.maybe(0.15) else ""
        tail = f" filter (where {self.condition(scope, 0)})" if self.maybe(0.12) else ""
        shape = self.chance.random()
        if shape < 0.2:
            return f"count(*){tail}", "bigint"
        if shape < 0.35:
            return f"count({distinct}{inner}){tail}", "bigint"
        if kind == "boolean":
            return f"{self.one('bool_and', 'bool_or')}({inner}){tail}", "boolean"
        if kind in NO_EXTREMES or kind == "interval" and shape >= 0.65:
            return f"count(distinct {inner}){tail}", "bigint"
        if shape < 0.65 or kind not in NUMBERS:
            return f"{self.one('min', 'max')}({inner}){tail}", kind
        if shape < 0.85:
            result = {"int": "bigint", "bigint": "numeric", "numeric": "numeric",
                      "float8": "float8", "smallint": "bigint", "real": "real"}[kind]
            return f"sum({distinct}{inner}){tail}", result
        if kind in ("float8", "real"):
            return f"count({inner}){tail}", "bigint"
        return f"avg({distinct}{inner}){tail}", "numeric"

    def select(self, depth=1, kinds=None):
        """(text, types of its columns). Ordered wholly or not at all."""
        source, scope = self.joined(depth)
        where = f" where {self.condition(scope, 2)}" if self.maybe(0.7) else ""
        while scope and self.maybe(0.2):
            kind = self.one(*[of for _, of in scope])
            where += f" {'and' if where else 'where'} {self.subquery(kind, scope, 2)}"
        group = having = ""
        columns, made = [], []
        if kinds is None and self.maybe(0.3):
            keys = []
            for _ in range(self.chance.choice((0, 1, 1, 2))):
                kind = self.one(*[of for _, of in scope])
                keys.append((self.column(kind, scope) if self.maybe(0.7)
                             else self.expression(kind, scope, 1), kind))
            # A constant is no key, and a parameter is not the same expression twice.
            keys = [(text, kind) for text, kind in keys if "<<" not in text and "select" not in text
                    and re.search(r"\bt\d+\.", text)]
            columns = [text for text, _ in keys]
            made = [kind for _, kind in keys]
            for _ in range(self.chance.randint(1, 3)):
                text, kind = self.aggregate(scope, 1)
                columns.append(text)
                made.append(kind)
            if keys:
                group = " group by " + ", ".join(text for text, _ in keys)
            if self.maybe(0.25):
                having = f" having count(*) {self.one('>', '<', '=', '>=')} {self.chance.randint(0, 4)}"
        else:
            made = kinds or [self.one(*[of for _, of in scope], *TYPES)
                             for _ in range(self.chance.randint(1, 4))]
            columns = [self.expression(kind, scope, 2) for kind in made]
        distinct = "distinct " if self.maybe(0.12) else ""
        text = (f"select {distinct}" + ", ".join(f"{c} as x{i}" for i, c in enumerate(columns)) +
                f" from {source}{where}{group}{having}")
        if self.maybe(0.4):
            order = ", ".join(f"{i + 1}{self.one('', ' desc', ' nulls first', ' desc nulls last')}"
                              for i in range(len(columns)))
            text += f" order by {order}"
            if self.maybe(0.5):
                text += f" limit {self.chance.randint(0, 6)}"
            if self.maybe(0.2):
                text += f" offset {self.chance.randint(0, 3)}"
        return text, made

    def query(self):
        shape = self.chance.random()
        if shape < 0.10:
            kinds = [self.one(*TYPES) for _ in range(self.chance.randint(1, 2))]
            parts = [f"({self.select(0, kinds)[0]})" for _ in range(self.chance.randint(2, 3))]
            text = parts[0]
            for part in parts[1:]:
                text += f" {self.one('union', 'union all', 'intersect', 'except', 'except all')} {part}"
            if self.maybe(0.4):
                text += " order by " + ", ".join(str(i + 1) for i in range(len(kinds)))
            return text
        if shape < 0.18:
            inner, kinds = self.select(1)
            names = [f"w{i}" for i in range(len(kinds))]
            scope = [(f"w.w{i}", kind) for i, kind in enumerate(kinds)]
            return (f"with w ({', '.join(names)}) as ({inner}) select * from w "
                    f"where {self.condition(scope, 1)}")
        if shape < 0.34:
            return self.by_key()
        if shape < 0.46:
            return self.one(self.window, self.window, self.grouped, self.lateral, self.recursive)()
        return self.select(1)[0]

    def window(self):
        """Functions over windows whose ties all get the same."""
        source, scope = self.joined(0)
        parts = [self.one(*scope)[0] for _ in range(self.chance.randint(0, 1))]
        text, kind = self.one(*scope)
        order = f"order by {text}{self.one('', ' desc', ' nulls first')}"
        frame = self.one("", "", " range between unbounded preceding and unbounded following",
                         " groups between 1 preceding and current row", " groups between current row and 2 following",
                         " range between current row and unbounded following",
                         " groups between unbounded preceding and 1 preceding exclude group")
        over = f"({'partition by ' + parts[0] + ' ' if parts else ''}{order}"
        number = self.column("int", scope) or "1"
        calls = [f"{name}() over {over})" for name in ("rank", "dense_rank", "percent_rank", "cume_dist")]
        calls += [f"{name} over {over}{frame})" for name in (
            "count(*)", f"sum({number})", f"count({text})", f"max({number})", f"first_value({text})",
            f"min({number}) filter (where {self.condition(scope, 0)})")]
        chosen = ", ".join(f"{call} as x{i}" for i, call in
                           enumerate(self.chance.sample(calls, self.chance.randint(1, 3))))
        return f"select {text} as o, {chosen} from {source} where {self.condition(scope, 1)}"

    def grouped(self):
        name = self.one(*self.tables)
        columns = [column for column, _ in self.tables[name]]
        keys = self.chance.sample(columns, 2)
        form = self.one("rollup ({0}, {1})", "cube ({0}, {1})", "grouping sets (({0}), ({1}), ())",
                        "grouping sets (({0}, {1}), ({0}), ({0}))", "{0}, rollup ({1})").format(*keys)
        return (f"select {keys[0]}, {keys[1]}, grouping({keys[0]}, {keys[1]}) as g, count(*) as c, sum(n) as s "
                f"from {name} group by {form}{self.one('', ' having count(*) > 1')}")

    def lateral(self):
        table, scope = self.table_scope()
        other, inner = self.table_scope()
        pairs = [(a, b) for a, x in scope for b, y in inner if x == y]
        a, b = self.chance.choice(pairs)
        what = self.one("count(*)", f"max({self.column('int', inner)})", f"min({self.column('int', inner)})")
        join = self.one(", lateral", " cross join lateral")
        return (f"select {scope[0][0]} as k, l.v from {table}{join} (select {what} as v from {other} "
                f"where {a} = {b} and {self.condition(inner, 0)}) l where {self.condition(scope, 1)}")

    def recursive(self):
        table, scope = self.table_scope()
        number = self.column("int", scope)
        top = self.chance.randint(1, 9)
        word = self.one("union all", "union")
        return (f"with recursive r (i, s) as (select 1, 0 {word} select i + 1, s + i from r where i < {top}) "
                f"select r.i, r.s, count({number}) as c from r left join {table} on {number} = r.i "
                f"group by r.i, r.s")

    def by_key(self):
        """What an index serves: equality, ranges, order, both ends."""
        name = self.one(*self.tables)
        columns = self.tables[name]
        chosen = self.chance.sample(columns, min(len(columns), self.chance.randint(1, 3)))
        where = []
        for column, kind in chosen:
            operator = self.one("=", "=", "<", ">", "<=", ">=")
            where.append(f"{column} {operator} {self.literal(kind)}")
            if operator != "=" and self.maybe(0.4):
                where.append(f"{column} {self.one('<', '>', '<=', '>=')} {self.literal(kind)}")
        column = self.one(*columns)[0]
        shape = self.chance.random()
        tail = " where " + " and ".join(where) if self.maybe(0.8) else ""
        if shape < 0.3:
            return f"select * from {name}{tail}"
        if shape < 0.5:
            kinds = dict(columns)
            if kinds[column] in NO_EXTREMES:
                return f"select count(*), count({column}) from {name}{tail}"
            return f"select min({column}), max({column}), count(*) from {name}{tail}"
        if shape < 0.75:
            return (f"select {column} from {name}{tail} order by {column}{self.one('', ' desc')}"
                    f" limit {self.chance.randint(1, 5)}")
        return f"select {chosen[0][0]}, k from {name}{tail}"

    def definition(self, in_transaction):
        """A statement that changes tables or indexes, or goes back to a savepoint."""
        name = self.one(*self.tables)
        columns = self.tables[name]
        shape = self.chance.random()
        if in_transaction and shape < 0.6:
            return self.one("savepoint s", "savepoint s", "rollback to s", "release s")
        if shape < 0.4:
            used = self.chance.sample([c for c, _ in columns], self.chance.randint(1, 2))
            order = ", ".join(c + self.one("", "", " desc", " nulls first") for c in used)
            return f"create index if not exists {name}_j{self.chance.randint(0, 2)} on {name} ({order})"
        if shape < 0.7:
            index = self.one("i0", "i1", "j0", "j1", "j2")
            return f"drop index if exists {name}_{index}"
        if shape < 0.75:
            return f"truncate {name}"
        if shape < 0.9 and not in_transaction and len(columns) < 9:
            # Not within a transaction: the generator would have to take it back as well.
            kind = self.one(*TYPES)
            column = f"a{len(columns)}"
            self.tables[name] = [*columns, (column, kind)]
            default = f" default {self.literal(kind)}" if self.maybe(0.6) else ""
            return f"alter table {name} add column {column} {kind}{default}"
        return f"analyze {name}"

    def change(self):
        """A statement that changes rows."""
        name = self.one(*self.tables)
        scope = [(f"{name}.{column}", kind) for column, kind in self.tables[name]]
        shape = self.chance.random()
        returning = " returning *" if self.maybe(0.3) else ""
        where = f" where {self.condition(scope, 2)}"
        if shape < 0.35:
            return self.insert(name) + returning
        if shape < 0.45 and self.keys[name]:
            key = ", ".join(self.keys[name])
            free = [c for c, _ in self.tables[name] if c not in self.keys[name]]
            column = self.one(*free)
            action = self.one("nothing", f"update set {column} = excluded.{column}",
                              f"update set n = {name}.n + 1 where excluded.n is distinct from {name}.n")
            target = f" ({key})" if "update" in action or self.maybe(0.5) else ""
            return f"{self.insert(name)} on conflict{target} do {action}{returning}"
        if shape < 0.53:
            return self.change_by_other(name, scope)
        if shape < 0.8:
            free = [(c, k) for c, k in self.tables[name] if c not in self.keys[name]]
            chosen = self.chance.sample(free, min(len(free), self.chance.randint(1, 2)))
            sets = ", ".join(f"{c} = {self.expression(k, scope, 1)}" for c, k in chosen)
            return f"update {name} set {sets}{where}{returning}"
        return f"delete from {name}{where} and {name}.n % 3 = {self.chance.randint(0, 2)}{returning}"


    def change_by_other(self, name, scope):
        """UPDATE .. FROM, DELETE .. USING, a changing WITH; each row meets one other at most."""
        other, inner = self.table_scope()
        number = self.column("int", inner)
        grouped = f"(select {number} as i, count(*) as c from {other} where {self.condition(inner, 1)} group by 1) o"
        where = f"{name}.n = o.i and {self.condition(scope, 0)}"
        shape = self.chance.random()
        if shape < 0.4:
            return f"update {name} set n = {name}.n + o.c::int from {grouped} where {where}{self.one('', ' returning n, o.c')}"
        if shape < 0.7:
            return f"delete from {name} using {grouped} where {where}{self.one('', ' returning n')}"
        return (f"with w as (delete from {name} where {self.condition(scope, 1)} and n % 4 = "
                f"{self.chance.randint(0, 3)} returning n) select count(*), sum(n) from w")


def numbered(sql):
    """<<value>> becomes $1 and so on."""
    params = []

    def number(match):
        params.append(match[1])
        return f"${len(params)}"

    return re.sub(r"<<(.*?)>>", number, sql), params


# Where equal values meet, any of them may stand for all: 1.5 or 1.50.
MERGING = re.compile(r"\b(distinct|union|intersect|except|group by|order by|min|max|greatest|least)\b")


def canonical(answered):
    """Numbers of a type that writes equal ones in several ways, written in one."""
    if answered[0] != "rows":
        return answered
    rows = [tuple(value if value is None or kind not in (1186, 1700)
                  else "a day or 24 hours" if kind == 1186 else str(Decimal(value).normalize())
                  for value, kind in zip(row, answered[2])) for row in answered[3]]
    return (*answered[:3], sorted(rows, key=str))


def answer(connection, sql, params):
    """What a server says to one statement, in comparable form."""
    try:
        if params is None:
            result = connection.query(sql)[-1]
        else:
            result = connection.execute(sql, params)
    except pgwire.Error as error:
        return ("error", error.sqlstate), error.message
    ordered = " order by " in sql.split(" from ")[-1] and ")" not in sql.split(" order by ")[-1]
    rows = result.rows if ordered else sorted(result.rows, key=str)
    # Types of users have other OIDs on each server.
    kinds = [min(column.type_oid, 16384) for column in result.columns]
    return ("rows", result.tag, kinds, rows), ""


def show(answered, message):
    if answered[0] == "error":
        return f"{answered[1]} {message}"
    return f"{answered[1]}, types {answered[2]}, {answered[3][:8]}{' ...' if answered[3][8:] else ''}"


def run_round(checks, seed, statements, ports, options):
    generator = Generator(seed)
    connections = [pgwire.connect(port=port, timeout=60) for port in ports]
    for connection in connections:
        for index in range(4):
            connection.query(f"drop table if exists dt{index}")
        connection.query("drop type if exists dmood")
        connection.query("create type dmood as enum ('low', 'mid', 'high')")
        connection.query("set statement_timeout = '10s'")
    for setting in options.setting:
        name, _, value = setting.partition("=")
        connections[1].query(f"set {name} = '{value}'")
    counts = {"same rows": 0, "same error": 0, "slow": 0}
    prelude = generator.make_tables()
    open_transaction = False
    for number in range(len(prelude) + statements):
        params = None
        if number < len(prelude):
            sql = prelude[number]
        else:
            generator.params = generator.maybe(0.3)
            shape = generator.chance.random()
            if shape < 0.05:
                generator.params = False
                sql = generator.one("commit", "rollback") if open_transaction else "begin"
                open_transaction = not open_transaction
            elif shape < 0.09:
                generator.params = False
                sql = generator.definition(open_transaction)
            elif shape < 0.28:
                sql = generator.change()
            else:
                sql = generator.query()
            if generator.params:
                sql, params = numbered(sql)
            generator.params = False
        if options.log:
            plain = sql
            for index in range(len(params or ()), 0, -1):
                plain = plain.replace(f"${index}::", f"'{params[index - 1]}'::")
            print(plain + ";", file=options.log)
        answers = []
        for which, connection in enumerate(connections):
            try:
                answers.append(answer(connection, sql, params))
            except (pgwire.ConnectionLost, TimeoutError, OSError) as lost:
                answers.append((("lost", which), str(lost)))
        (ours, our_words), (theirs, their_words) = answers[1], answers[0]
        if ours[0] == "lost" or theirs[0] == "lost":
            checks.check(f"seed {seed}: {sql} {params or ''}\n  connection lost", False,
                         our_words + their_words)
            return counts
        if ("error", "57014") in (ours, theirs):
            counts["slow"] += 1
            if ours != theirs and theirs[0] == "rows":
                print(f"slow: seed {seed}: {sql} {params or ''}", flush=True)
                if open_transaction:
                    break
            continue
        same = ours == theirs or (MERGING.search(sql) and canonical(ours) == canonical(theirs))
        if same:
            counts["same rows" if ours[0] == "rows" else "same error"] += 1
        if options.verbose or (same and ours[0] == "error" and options.errors):
            print(f"{sql} {params or ''}\n  {show(ours, our_words)}", flush=True)
        checks.check(f"seed {seed}: {sql};{' -- ' + str(params) if params else ''}", same,
                     f"\n  PostgreSQL: {show(theirs, their_words) if not same else ''}"
                     f"\n  Tusk:       {show(ours, our_words) if not same else ''}")
        if not same and options.stop:
            break
        if connections[0].status != connections[1].status:
            checks.check(f"seed {seed}: transaction status", False)
            break
        if connections[0].status == "E":
            for connection in connections:
                connection.query("rollback")
            open_transaction = False
    for index, connection in enumerate(connections):
        if connection.status != "I":
            connection.query("rollback")
        connection.close()
    return counts


def compare_tables(checks, seed, ports):
    """After a round both servers hold the same rows, by every access path."""
    connections = [pgwire.connect(port=port) for port in ports]
    for index in range(4):
        found = [answer(connection, f"select * from dt{index}", None) for connection in connections]
        checks.check(f"seed {seed}: dt{index} at the end", found[0][0] == found[1][0])
    for connection in connections:
        connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--statements", type=int, default=150)
    parser.add_argument("--build", default="release")
    parser.add_argument("--tusk-port", type=int, help="of a running server, instead of starting one")
    parser.add_argument("--postgres-port", type=int)
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE",
                        help="set on Tusk only; debug_work_mem_bytes=0 sends all to temporary files")
    parser.add_argument("--stop", action="store_true", help="end a round at its first failure")
    parser.add_argument("--log", type=argparse.FileType("w"), help="write the statements there")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--errors", action="store_true", help="show statements that fail on both")
    options = parser.parse_args()
    wanted = options.rounds * options.statements
    if not postgres.INSTALLED and not options.postgres_port:
        print(f"skipped: PostgreSQL 15 is not installed, {wanted} statements not compared")
        print("0 passed, 0 failed")
        return 0
    checks, total, started = Checks(), {}, []
    start = time.monotonic()
    try:
        if not options.postgres_port:
            started.append(postgres.Postgres({"fsync": "off"}).start())
            options.postgres_port = started[-1].port
        if not options.tusk_port:
            started.append(Server(options.build).start())
            options.tusk_port = started[-1].port
        ports = (options.postgres_port, options.tusk_port)
        for seed in range(options.seed, options.seed + options.rounds):
            counts = run_round(checks, seed, options.statements, ports, options)
            compare_tables(checks, seed, ports)
            for name, count in counts.items():
                total[name] = total.get(name, 0) + count
    finally:
        for one in started:
            one.__exit__()
    print(f"seeds {options.seed} to {options.seed + options.rounds - 1}: {total}, "
          f"{time.monotonic() - start:.0f} s")
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
