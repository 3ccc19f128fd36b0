#!/usr/bin/env python3
"""Writes what follows from parser/keywords.txt (PostgreSQL's pg_get_keywords: word, class, can it be
a bare label) and from the tokens parser/grammar.y uses: the keyword classes at the end of the
grammar, and parser/keywords.inc. Run it after using a new keyword; --check only compares (ctest).

A keyword that the grammar does not use and that may be any name is no token at all.
"""
import re
import sys
from pathlib import Path

PARSER = Path(__file__).resolve().parent.parent / "parser"
MARK = "/* ---- keyword classes, written by tools/keywords.py "
CLASSES = {"U": "unreserved_keyword", "C": "col_name_keyword", "T": "type_func_name_keyword",
           "R": "reserved_keyword"}
ENUM = {"U": "PARSER_UNRESERVED", "C": "PARSER_COL_NAME", "T": "PARSER_TYPE_FUNC_NAME",
        "R": "PARSER_RESERVED"}
SLOTS = 1024


def code_free(text):
    """The grammar without comments and actions."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    out, depth = [], 0
    for char in text:
        depth += char == "{"
        if depth == 0:
            out.append(char)
        depth -= char == "}"
    return "".join(out)


def parts(word):
    """The first and the last eight bytes, as keywords.c loads them."""
    raw = word.encode()
    return (int.from_bytes(raw[:8].ljust(8, b"\0"), "little"),
            int.from_bytes(raw[-8:].ljust(8, b"\0"), "little"))


def mix(word):
    """The hash of keywords.c."""
    first, last = parts(word)
    value = (first ^ (last << 1 | last >> 63) & (2**64 - 1)) + len(word)
    return (value * 0x9E3779B97F4A7C15 & (2**64 - 1)) >> 54


def main(check):
    keywords = [line.split("|") for line in (PARSER / "keywords.txt").read_text().split()]
    keywords.sort()
    grammar = (PARSER / "grammar.y").read_text()
    body = grammar.split(MARK)[0]
    used = set(re.findall(r"\b[A-Z][A-Z_]+\b", code_free(body)))
    token = {word: word.upper() in used or kind != "U" for word, kind, _ in keywords}

    lines = [MARK + "-" * (98 - len(MARK) - 2) + " */", ""]
    for kind, symbol in CLASSES.items():
        lines.append(f"%type {symbol} {{struct parser_token}}")
        lines += [f"{symbol}(A) ::= {word.upper()}(T). {{ A = T; }}"
                  for word, k, _ in keywords if k == kind and token[word]]
        lines.append("")
    lines.append("%type bare_label_keyword {struct parser_token}")
    lines += [f"bare_label_keyword(A) ::= {word.upper()}(T). {{ A = T; }}"
              for word, _, bare in keywords if bare == "t" and token[word]]
    new_grammar = body + "\n".join(lines) + "\n"

    slots = [0] * SLOTS
    for number, (word, _, _) in enumerate(keywords, 1):
        slot = mix(word)
        while slots[slot]:
            slot = (slot + 1) % SLOTS
        slots[slot] = number
    inc = ["/* Written by tools/keywords.py. */", "#define KEYWORDS(X) \\"]
    inc += [f'    X("{word}", {ENUM[kind]}, {"true" if bare == "t" else "false"}, '
            f'{"TK_" + word.upper() if token[word] else 0}) \\' for word, kind, bare in keywords]
    inc[-1] = inc[-1][:-2]
    inc += ["", "#define KEYWORD_PARTS \\"]
    inc += ["    {0x%x, 0x%x}, \\" % parts(word) for word, _, _ in keywords]
    inc[-1] = inc[-1][:-3]
    inc += ["", "#define KEYWORD_SLOTS \\"]
    inc += ["    " + ", ".join(map(str, slots[i:i + 16])) + ", \\" for i in range(0, SLOTS, 16)]
    inc[-1] = inc[-1][:-3]
    new_inc = "\n".join(inc) + "\n"

    stale = []
    for name, text in (("grammar.y", new_grammar), ("keywords.inc", new_inc)):
        path = PARSER / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.write_text(text)
    if check and stale:
        print("stale, run tools/keywords.py:", *stale)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
