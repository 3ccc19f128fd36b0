#!/usr/bin/env python3
"""Writes docs/sql.md: what SQL a server accepts, asked of the server itself.

    tools/sql_reference.py [--build release]     writes docs/sql.md
    tools/sql_reference.py --check               ends with 1 if docs/sql.md is not current
"""
import argparse
import collections
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))
import pgwire  # noqa: E402
from server import Server  # noqa: E402

# A short example of each command of PostgreSQL 15, and of our own (sagas); it counts as accepted unless it is refused with 0A000
# (or is no syntax we know).
STATEMENTS = """
ABORT|abort
ALTER DATABASE|alter database postgres set work_mem = '8MB'
ALTER DEFAULT PRIVILEGES|alter default privileges grant select on tables to public
ALTER DOMAIN|alter domain ref_domain drop not null
ALTER FUNCTION|alter function ref_function() owner to current_user
ALTER INDEX|alter index ref_i rename to ref_i2
ALTER MATERIALIZED VIEW|alter materialized view ref_m rename to ref_m2
ALTER ROLE|alter role ref_role nologin
ALTER SAGA|alter saga instance 1 retry
ALTER SCHEMA|alter schema ref_s rename to ref_s2
ALTER SEQUENCE|alter sequence ref_seq restart
ALTER SYSTEM|alter system set work_mem = '5MB'
ALTER TABLE|alter table ref_t add column c int
ALTER TYPE|alter type ref_e add value 'z'
ALTER VIEW|alter view ref_v rename to ref_v2
ANALYZE|analyze ref_t
BEGIN|begin
CALL|call ref_p()
CHECKPOINT|checkpoint
CLOSE|close all
CLUSTER|cluster ref_t
COMMENT|comment on table ref_t is 'x'
COMMIT|commit
COPY|copy ref_t to stdout
CREATE AGGREGATE|create aggregate ref_a (int) (sfunc = int4pl, stype = int)
CREATE CAST|create cast (int as ref_e) without function
CREATE DATABASE|create database ref_d
CREATE DOMAIN|create domain ref_domain2 as int
CREATE EXTENSION|create extension hstore
CREATE FUNCTION|create function ref_function2() returns int language sql as 'select 1'
CREATE INDEX|create index on ref_t (b)
CREATE MATERIALIZED VIEW|create materialized view ref_m2 as select 1
CREATE POLICY|create policy ref_policy on ref_t
CREATE PROCEDURE|create procedure ref_p2() language sql as 'select 1'
CREATE PUBLICATION|create publication ref_pub
CREATE ROLE|create role ref_role2
CREATE RULE|create rule ref_rule as on insert to ref_t do nothing
CREATE SAGA|create saga ref_saga (p int) step s on ref_t (p) do 'select 1' undo 'select 1'
CREATE SCHEMA|create schema ref_s3
CREATE SEQUENCE|create sequence ref_seq2
CREATE STATISTICS|create statistics ref_stat on a, b from ref_t
CREATE TABLE|create table ref_t2 (a int)
CREATE TABLE AS|create table ref_t3 as select 1 as x
CREATE TEMPORARY TABLE|create temporary table ref_t4 (a int)
CREATE TRIGGER|create trigger ref_trigger before insert on ref_t for each row execute function f()
CREATE TYPE .. AS (..)|create type ref_c as (a int)
CREATE TYPE .. AS ENUM|create type ref_e2 as enum ('a')
CREATE TYPE .. AS RANGE|create type ref_r as range (subtype = int)
CREATE VIEW|create view ref_v3 as select 1 as x
DEALLOCATE|deallocate all
DECLARE|begin; declare ref_cursor cursor for select 1; commit
DELETE|delete from ref_t
DISCARD|discard all
DO|do 'begin end'
DROP DATABASE|drop database if exists ref_d
DROP DOMAIN|drop domain ref_domain
DROP FUNCTION|drop function if exists ref_function()
DROP INDEX|drop index if exists ref_nothing
DROP OWNED|drop owned by ref_role
DROP ROLE|drop role if exists ref_role2
DROP SAGA|drop saga if exists ref_saga2
DROP SCHEMA|drop schema if exists ref_s3
DROP SEQUENCE|drop sequence if exists ref_seq2
DROP TABLE|drop table if exists ref_t2
DROP TYPE|drop type if exists ref_e2
DROP VIEW|drop view if exists ref_v3
END|end
EXECUTE|prepare ref_x as select 1; execute ref_x
EXPLAIN|explain (analyze, costs off) select 1
FETCH|begin; declare ref_f cursor for select 1; fetch all from ref_f; commit
GRANT|grant select on ref_t to public
INSERT|insert into ref_t values (1, 2) on conflict (a) do update set b = 3 returning *
LISTEN|listen ref_channel
LOCK|begin; lock table ref_t; commit
MERGE|merge into ref_t using ref_t2 x on false when not matched then do nothing
MOVE|begin; declare ref_m cursor for select 1; move all from ref_m; commit
NOTIFY|notify ref_channel
PREPARE|prepare ref_y as select 1
PREPARE TRANSACTION|begin; prepare transaction 'x'
REASSIGN OWNED|reassign owned by ref_role to ref_role
REFRESH MATERIALIZED VIEW|refresh materialized view ref_m
REINDEX|reindex table ref_t
RELEASE SAVEPOINT|begin; savepoint s; release s; commit
RESET|reset all
REVOKE|revoke select on ref_t from public
ROLLBACK|rollback
ROLLBACK TO SAVEPOINT|begin; savepoint s; rollback to s; commit
SAVEPOINT|begin; savepoint s; commit
SECURITY LABEL|security label on table ref_t is 'x'
SELECT|with recursive x as (select 1 as a union all select a + 1 from x where a < 3) select * from x
SELECT INTO|select 1 as x into ref_into
SET|set work_mem = '4MB'
SET CONSTRAINTS|set constraints all deferred
SET ROLE|set role none
SET SESSION AUTHORIZATION|set session authorization default
SET TRANSACTION|begin; set transaction read only; commit
SHOW|show work_mem
START SAGA|start saga ref_saga (1)
START TRANSACTION|start transaction; commit
TRUNCATE|truncate ref_t
UNLISTEN|unlisten *
UPDATE|update ref_t set b = 4 where a = 1 returning *
VACUUM|vacuum ref_t
VALUES|values (1), (2)
"""
PRELUDE = ("create table ref_t (a int primary key, b int)", "create index ref_i on ref_t (b)", "create schema ref_s",
           "create sequence ref_seq", "create view ref_v as select 1 as x", "create type ref_e as enum ('x')",
           "create role ref_role", "create domain ref_domain as int",
           "create function ref_function() returns int language sql as 'select 1'")
UNKNOWN = ("0A000", "42601")

TYPES = """select typname, format_type(oid, null), typcategory::text from pg_type
where typtype = 'b' and typcategory <> 'A' order by 2"""
FUNCTIONS = """
select p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), p.prokind::text
from pg_proc p where p.proname ~ '^[a-z]' and p.proname !~ '^within_'
and not exists (select 1 from pg_operator o where o.oprcode = p.oid) order by 1, 2"""
OPERATORS = """
select oprname, case when oprleft = 0 then '' else format_type(oprleft, null) end, format_type(oprright, null),
       format_type(oprresult, null) from pg_operator order by 1, 2, 3"""
CASTS = """
select format_type(castsource, null), format_type(casttarget, null), castcontext::text from pg_cast order by 1, 2"""
CATEGORIES = {"N": "numbers", "S": "text", "D": "date and time", "T": "date and time", "B": "boolean", "U": "other",
              "Z": "of the catalogs"}


def statements(connection):
    for sql in PRELUDE:
        try:
            connection.query(sql)
        except pgwire.Error:
            pass
    accepted, refused = [], []
    for line in STATEMENTS.strip().split("\n"):
        name, sql = line.split("|", 1)
        state = None
        try:
            for part in sql.split("; "):
                connection.query(part)
        except pgwire.Error as error:
            state = error.sqlstate
        if connection.status != "I":
            connection.query("rollback")
        (refused if state in UNKNOWN else accepted).append(name)
    return accepted, refused


def paragraph(words, width=112):
    lines, line = [], ""
    for number, word in enumerate(words):
        word += "," if number + 1 < len(words) else ""
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = ""
        line += (" " if line else "") + word
    return "\n".join(lines + [line])


def table(rows):
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def reference(connection):
    accepted, refused = statements(connection)
    to = ["# The SQL that Tusk accepts", "",
          "Written by tools/sql_reference.py, which asks a server: its catalog, and for each command of PostgreSQL 15",
          "(and our own) a short example. The meaning of everything is PostgreSQL 15's; what differs is in",
          "[differences.md](differences.md). Operators and functions of arrays work for arrays of every type",
          "(anyarray), those of enums for every enum (anyenum).", "",
          "## Statements", "", paragraph(accepted) + ".", "",
          "Refused, with SQLSTATE 0A000 and its name:", "", paragraph(refused) + ".", "", "## Types", ""]
    groups = collections.defaultdict(list)
    for name, shown, category in connection.query(TYPES)[-1].rows:
        groups[CATEGORIES.get(category, "other")].append(shown if name == shown.strip('"') else f"{shown} ({name})")
    to += ["| | |", "|---|---|"]
    to += [table([(kind, ", ".join(groups[kind]))]) for kind in sorted(groups)]
    to += ["", "And enums (CREATE TYPE .. AS ENUM), arrays of all of them, and rows.", ""]
    functions = collections.defaultdict(lambda: collections.defaultdict(list))
    for name, args, result, kind in connection.query(FUNCTIONS)[-1].rows:
        if args == "unknown" or re.search("(recv|send)$", name):
            continue  # a type's input and output
        call = f"`{name}({args})` {result}"
        if call not in functions[kind][name]:
            functions[kind][name].append(call)
    for kind, title in (("f", "Functions"), ("a", "Aggregates"), ("w", "Window functions")):
        to += [f"## {title}", ""]
        to += ["- " + "; ".join(functions[kind][name]) for name in sorted(functions[kind])]
        to += [""]
    to += ["Beside these the words of the language: CASE, CAST, COALESCE, COLLATE, CURRENT_DATE and its kin, EXTRACT,",
           "GREATEST, GROUPING, LEAST, NULLIF, OVERLAY, POSITION, ROW, SUBSTRING, TRIM; rank and its",
           "kin also WITHIN GROUP.", "", "## Operators", ""]
    operators = collections.defaultdict(list)
    for name, left, right, result in connection.query(OPERATORS)[-1].rows:
        operators[name].append(f"{left} {name} {right} → {result}".strip())
    to += ["| operator | |", "|---|---|"]
    to += [table([(f"`{name}`", "; ".join(operators[name]))]) for name in sorted(operators)]
    casts = collections.defaultdict(list)
    for source, target, context in connection.query(CASTS)[-1].rows:
        casts[(source, context)].append(target)
    words = {"i": "implicit", "a": "assignment", "e": "explicit"}
    to += ["", "## Casts", "",
           "Every type casts to text types (by assignment) and from them (explicitly) through its text form. Also:", "",
           "| from | when | to |", "|---|---|---|"]
    to += [table([(source, words[context], ", ".join(targets))])
           for (source, context), targets in sorted(casts.items())]
    return "\n".join(to) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="release")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with Server(options.build) as server:
        connection = pgwire.connect(port=server.port)
        text = reference(connection)
        connection.close()
    file = ROOT / "docs/sql.md"
    if options.check:
        if not file.exists() or file.read_text() != text:
            print("docs/sql.md is not current: run tools/sql_reference.py")
            return 1
        return 0
    file.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
