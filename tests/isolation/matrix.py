#!/usr/bin/env python3
"""make isolation-matrix: every anomaly at every level, PostgreSQL 15 beside Tusk, as a table.

    tests/isolation/matrix.py [--build release] [--limit N] [--readme]

A cell says in how many of the interleavings the anomaly was seen, and in how many somebody got an
error instead. --readme puts the table into README.md, between its two marks.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import isolation

ROOT = os.path.join(isolation.HERE, "..", "..")
BEGIN, END = "<!-- isolation-matrix -->\n", "<!-- end -->\n"
SHOWN = isolation.LEVELS[1:]
ORDER = ("g0", "dirty", "g1", "otv", "pmp", "p4", "hot", "g_single", "g2", "read_only", "ssi_t", "ssi_c",
         "ssi_filter_m", "savepoint", "ddl", "ssi_unique", "unique", "rc_", "ssi_", "deadlock", "lock",
         "nowait", "skip")


def rank(spec):
    return next((i for i, prefix in enumerate(ORDER) if spec.name.startswith(prefix)), len(ORDER))


def cell(summary):
    if summary is None:
        return "?"
    if summary is False:
        return " "
    words = f"**seen {len(summary.seen)}**" if summary.seen else "never"
    if summary.failing:
        words += f"; {' or '.join(sorted(summary.codes))} {len(summary.failing)}"
    return words


def run_all(target, specs, limit):
    runner = isolation.Runner(target)
    found = {}
    for spec in specs:
        for level in SHOWN:
            if spec.only and level not in spec.only:
                found[spec.name, level] = False
                continue
            try:
                found[spec.name, level] = isolation.run_spec(runner, spec, level, limit)
            except (isolation.pgwire.Error, RuntimeError) as error:
                print(f"{spec.name}, {level}: {error}", file=sys.stderr)
                found[spec.name, level] = None
                runner.close()
                runner = isolation.Runner(target)
    runner.close()
    return found


def table(specs, theirs, ours):
    lines = ["| anomaly | interleavings | PostgreSQL: read committed | repeatable read | serializable "
             "| Tusk: read committed | repeatable read | serializable |",
             "|---|--:|---|---|---|---|---|---|"]
    for spec in specs:
        cells = [cell(found[spec.name, level]) for found in (theirs, ours) for level in SHOWN]
        some = next(one for one in (ours[spec.name, level] for level in reversed(SHOWN)) if one)
        lines.append(f"| [{spec.anomaly[0]}: {spec.anomaly[1]}](tests/isolation/specs/{spec.name}.spec) "
                     f"| {some.count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="release")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    if not isolation.postgres.INSTALLED:
        print("skipped: PostgreSQL 15 is not installed")
        return 0
    specs = sorted((spec for spec in isolation.spec_files([]) if spec.anomaly), key=rank)
    with isolation.spawn("tusk", options.build) as target:
        ours = run_all(target, specs, options.limit)
    with isolation.spawn("postgres") as target:
        theirs = run_all(target, specs, options.limit)
    text = table(specs, theirs, ours)
    print(text)
    if options.readme:
        path = os.path.join(ROOT, "README.md")
        with open(path, encoding="utf-8") as file:
            before, _, rest = file.read().partition(BEGIN)
        after = rest.partition(END)[2]
        if not rest:
            raise SystemExit("README.md has no place for it")
        with open(path, "w", encoding="utf-8") as file:
            file.write(before + BEGIN + text + END + after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
