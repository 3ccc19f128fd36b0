#!/usr/bin/env python3
"""A corpus of sqllogictest files on PostgreSQL 15 and then on Tusk: what fails on Tusk alone, and both times.

    tests/slt/corpus.py ../shared/slt [--build release] [--output FILE]

Each server is alone while it runs, both make every statement durable. The runner reads and compares on both the
same way, and counts the time it waits for answers apart from that.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "bench"))
import common  # noqa: E402

RUNNER = str(Path(__file__).resolve().parent / "slt.py")


class Run:
    """One server's: what the runner printed, and what it noted."""

    def __init__(self, server, pid, folder, name, options):
        before = common.cpu_seconds(pid)
        times = f"{folder}/{name}.times"
        arguments = ["--port", str(server.port), "--times", times, options.folder]
        if name == "PostgreSQL":
            arguments += ["--quiet", "--write-known", f"{folder}/known"]
        else:
            arguments += ["--known", f"{folder}/known"]
        self.text = subprocess.run([RUNNER, *arguments], stdout=subprocess.PIPE, text=True, check=False).stdout
        self.cpu = common.cpu_seconds(pid) - before
        self.last = self.text.strip().splitlines()[-1]
        self.waiting, self.wall = map(float, re.search(r"([\d.]+) s waiting of ([\d.]+) s$", self.last).groups())
        self.files = {}
        for line in Path(times).read_text().splitlines():
            file, passed, seconds = line.rsplit(" ", 2)
            self.files[file] = (int(passed), float(seconds))
        self.passed = sum(passed for passed, _ in self.files.values())


def table(theirs, ours, failed):
    lines = ["| | PostgreSQL | Tusk | ratio |", "|---|--:|--:|--:|",
             f"| records passed | {theirs.passed:,} | {ours.passed:,} | |",
             f"| of those that pass on PostgreSQL, failed | | {failed} | |"]
    for what, their, our in (("waiting for answers", theirs.waiting, ours.waiting),
                             ("processor time of the server", theirs.cpu, ours.cpu),
                             ("wall time with the runner", theirs.wall, ours.wall)):
        lines.append(f"| {what}, s | {their:.1f} | {our:.1f} | **{our / their:.2f}** |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--build", default="release")
    parser.add_argument("--output", help="write the table there")
    options = parser.parse_args()
    if common.skipped():
        return 0
    with tempfile.TemporaryDirectory() as folder:
        with common.postgres.Postgres() as server:
            theirs = Run(server, server.pid(), folder, "PostgreSQL", options)
        with common.Server(options.build) as server:
            ours = Run(server, server.process.pid, folder, "Tusk", options)
    print("\n".join(line for line in ours.text.split("\n") if line.startswith(" ")))
    print("Files in which Tusk is waited for longest, beside PostgreSQL:")
    slow = sorted(ours.files, key=lambda file: theirs.files[file][1] - ours.files[file][1])
    for file in slow[:10]:
        print(f"  {file}: PostgreSQL {theirs.files[file][1]:.2f} s, Tusk {ours.files[file][1]:.2f} s")
    failed = int(re.search(r"passed, (\d+) failed", ours.last)[1])
    common.tell(table(theirs, ours, failed), options.output)
    return 1 if failed or ours.waiting > theirs.waiting else 0


if __name__ == "__main__":
    sys.exit(main())
