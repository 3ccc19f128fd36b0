"""What the benches share: the way to tests/lib, what a server has used, how results are told."""
import glob
import os
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import pgwire           # noqa: E402, F401 (others take these from here)
import postgres         # noqa: E402, F401
from server import Server   # noqa: E402, F401

TICKS = os.sysconf("SC_CLK_TCK")


def processes(pid):
    """The server's first process and all below it."""
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        # The name in parentheses may hold anything.
        children.setdefault(int(text.rsplit(")", 1)[1].split()[1]), []).append(int(text.split()[0]))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def cpu_seconds(pid):
    """Of the living, and of the ended that were waited for (backends of earlier connections)."""
    total = 0
    for one in processes(pid):
        try:
            with open(f"/proc/{one}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
        if one == pid:
            total += int(fields[13]) + int(fields[14])
    return total / TICKS


def memory_mib(pid):
    total = 0
    for one in processes(pid):
        try:
            with open(f"/proc/{one}/smaps_rollup", encoding="utf-8") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total / 1024


def medians(runs, count):
    """Of the first `count` numbers of each run; those that are None are not counted."""
    return [statistics.median(run[i] for run in runs if run[i] is not None) for i in range(count)]


def skipped():
    """True, and it is said, where there is nothing to compare with."""
    if not postgres.INSTALLED:
        print("skipped: PostgreSQL 15 and pgbench are not installed")
    return not postgres.INSTALLED


def tell(text, output):
    """The table: on the screen, and in the file of --output if there is one."""
    print("\n" + text)
    if output:
        with open(output, "w", encoding="utf-8") as file:
            file.write(text + "\n")
