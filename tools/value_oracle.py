#!/usr/bin/env python3
"""Ask PostgreSQL 15 for the answers in tests/oracle/values.tsv.
usage: value_oracle.py CONNECTION-STRING < expressions > values.tsv
Every line in is an expression (see tests/unit/sql_value_oracle_test.c) or a SET; what follows a tab
is ignored. Lines out are the expression, a tab, and the answer.
"""
import re
import subprocess
import sys

MARK = "\x01@answer@"


def main():
    lines = [line.rstrip("\n").split("\t")[0] for line in sys.stdin]
    script = ["\\set ON_ERROR_STOP off", "\\set VERBOSITY verbose", "\\pset null NULL"]
    for number, line in enumerate(lines):
        script.append(f"\\echo {MARK}{number}")
        if line and not line.startswith("#"):
            # The schema makes plain functions of extract, overlay and the like.
            call = re.match(r"[a-z_0-9]+\(", line) is not None
            script.append(line + ";" if line.startswith("SET ")
                          else f"select {'pg_catalog.' if call else ''}{line};")
    done = subprocess.run(["psql", "-X", "-At", sys.argv[1]], input="\n".join(script), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    answers = {}
    for part in done.stdout.split(MARK)[1:]:
        number, _, text = part.partition("\n")
        answers[int(number)] = text
    for number, line in enumerate(lines):
        if not line or line.startswith("#") or line.startswith("SET "):
            print(line)
            continue
        text = answers.get(number, "")
        if "ERROR:  " in text:
            text = text.split("ERROR:  ")[1].split("\n")[0]
            text = f"ERROR {text}"
        else:
            text = text.removesuffix("\n")
            text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
        print(f"{line}\t{text}")


main()
