#!/usr/bin/env python3
"""A corpus of sqllogictest files on PostgreSQL 15 and then on Tusk: what fails on Tusk alone, and both times.

    tests/slt/corpus.py ../shared/slt [--build release]

Each server is alone while it runs. PostgreSQL runs without fsync, so that the time is that of queries.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import postgres  # noqa: E402

RUNNER = str(Path(__file__).resolve().parent / "slt.py")


def run(*arguments):
    output = subprocess.run([RUNNER, *arguments], stdout=subprocess.PIPE, text=True, check=False).stdout
    seconds = float(re.findall(r"([\d.]+) s$", output.strip())[-1])
    return output, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--build", default="release")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        known = f"{folder}/known"
        with postgres.Postgres({"fsync": "off"}) as server:
            theirs, their_time = run("--port", str(server.port), "--quiet", "--write-known", known, options.folder)
        ours, our_time = run("--spawn", options.build, "--known", known, options.folder)
    print("\n".join(line for line in ours.split("\n") if " 0 failed" not in line and line.startswith(" ")))
    print(f"PostgreSQL 15: {theirs.strip().splitlines()[-1]}")
    print(f"Tusk:          {ours.strip().splitlines()[-1]}")
    print(f"Tusk takes {our_time / their_time:.2f} of PostgreSQL's time")
    return 1 if "0 failed" not in ours.strip().splitlines()[-1] else 0


if __name__ == "__main__":
    sys.exit(main())
