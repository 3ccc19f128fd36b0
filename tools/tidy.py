#!/usr/bin/env python3
"""Checks what a compiler does not: who may include whom, a few words we do not use, and that the
functions docs/tour.md names exist.

The table below is the architecture. To add an arrow, add it here and say why in the commit.
"""
import collections
import os
import re
import sys

ROOMS = {
    "base": [],
    "world": ["base"],
    "wire": ["base"],
    # What a client does before its first query is the same for the shell and the router.
    "login": ["base", "world", "wire"],
    "parser": ["base"],
    "wal": ["base", "world"],
    "btree": ["base", "world"],
    "txn": ["base", "world", "wal", "btree"],
    # Buckets, routes and the control store are the same for shard, router and mover.
    "shard": ["base", "world"],
    "sql": ["base", "world", "parser", "shard", "txn"],
    "cdc": ["base", "world", "wal", "txn", "sql"],
    "saga": ["base", "world", "parser", "shard", "txn", "sql"],
    # The router is a server whose rows lie elsewhere: it has server/'s connections and sql/'s engine
    # (router/README.md says why).
    "router": ["base", "world", "parser", "wire", "login", "shard", "txn", "sql", "saga", "server"],
    "shell": ["base", "world", "wire", "login"],
    "server": ["base", "world", "wire", "parser", "shard", "wal", "btree", "txn", "sql", "cdc", "saga"],
}

# Everything that would let the outside in unseen has one door: world/. Memory has base/.
BANNED = [
    (r"\b(time|gettimeofday|clock_gettime|rand|random|getrandom)\s*\(", {"world"}),
    (r"\b(fsync|fdatasync|pread|pwrite|open|socket|accept4?|epoll_wait)\s*\(", {"world", "tests"}),
    (r"\bpthread_\w+\s*\(", {"world", "tests"}),
    (r"\b(malloc|calloc|realloc|free|strdup)\s*\(", {"base"}),
    (r"\b(strcpy|strcat|sprintf|gets|strtok)\s*\(", {"tests"}),
    (r"\b(FIXME|XXX)\b", set()),
]


def strip(text):
    """Blank comments and strings, keeping line numbers."""
    pattern = r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|//[^\n]*'
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def check(root, path, complain):
    room = path.split(os.sep)[0]
    with open(os.path.join(root, path)) as file:
        text = file.read()

    for number, line in enumerate(text.split("\n"), 1):
        where = f"{path}:{number}"
        if len(line) > 100:
            complain(f"{where}: line is longer than 100 columns")
        include = re.match(r'#include "(\w+)/(?:\w+/)*(\w+)\.h"', line)
        if include is None or room == "tests":
            continue
        other, header = include.groups()
        if other != room and other not in ROOMS.get(room, []):
            complain(f"{where}: {room}/ may not use {other}/ (tools/tidy.py holds the map)")
        if other != room and header.endswith("_internal"):
            complain(f"{where}: {other}/{header}.h is private to {other}/")

    code = strip(text)
    for pattern, allowed in BANNED:
        if room in allowed:
            continue
        for match in re.finditer(pattern, text if "FIXME" in pattern else code):
            number = text.count("\n", 0, match.start()) + 1
            complain(f"{path}:{number}: '{match.group().strip()}' is not used in {room}/")
    for name, inner in re.findall(r"\b([a-z]+)__(\w+)\s*\(", code):
        if name in ROOMS and name != room and room != "tests":
            complain(f"{path}: {name}__{inner}() is private to {name}/")


def check_tour(root, paths, report):
    """Every function docs/tour.md names exists."""
    with open(os.path.join(root, "docs", "tour.md"), encoding="utf-8") as file:
        names = set(re.findall(r"`([a-z_0-9]+)`", file.read()))
    for path in paths:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            names -= set(re.findall(r"^([a-z_0-9]+)\(", file.read(), flags=re.M))
    for name in sorted(names):
        report(f"docs/tour.md: there is no function {name}")


def check_dead(root, report):
    """With --dead: every function of a header is used beside its declaration and its definition. Not
    asked at each landing, since a header may come before its users."""
    words = collections.Counter()
    declared, pasted = {}, set()
    for folder, _, names in os.walk(root):
        if os.path.relpath(folder, root).split(os.sep)[0] in ("build", ".git"):
            continue
        for name in names:
            if not name.endswith((".c", ".h", ".y", ".inc")):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                text = strip(file.read())
            words.update(re.findall(r"\w+", text))
            pasted.update(re.findall(r"(\w+)\s*##", text))
            if name.endswith(".h"):
                for match in re.finditer(r"^(?:[a-z][\w ]*[ *])(\w+)\(", text, flags=re.M):
                    declared[match.group(1)] = os.path.relpath(os.path.join(folder, name), root)
    for name, path in sorted(declared.items()):
        if words[name] <= 2 and not name.startswith(tuple(pasted)):
            report(f"{path}: nobody calls {name}()")


def main(root, dead):
    errors = []
    paths = []
    for room in [*ROOMS, "tests"]:
        for folder, _, names in os.walk(os.path.join(root, room)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    path = os.path.relpath(os.path.join(folder, name), root)
                    check(root, path, errors.append)
                    paths.append(path)
    check_tour(root, paths, errors.append)
    if dead:
        check_dead(root, errors.append)
    print("\n".join(errors) or "tidy")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], "--dead" in sys.argv[2:]))
