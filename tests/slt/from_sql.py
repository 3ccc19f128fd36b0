#!/usr/bin/env python3
"""Makes a golden file of plain SQL: statements end with ; at the end of a line, -- lines stay as
comments. What each statement should answer is asked of a server (PostgreSQL 15).

    tests/slt/from_sql.py --port 5432 FILE.sql... --to tests/golden

Rows of a query without ORDER BY are compared as a set. A line `\\connection NAME` switches sessions;
`\\onlyif ENGINE` and `\\skipif ENGINE` stand before a statement.
"""
import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import pgwire  # noqa: E402
import slt  # noqa: E402


def statements(text):
    """("comment" | "connection" | "sql", text)"""
    current = []
    for line in text.split("\n"):
        if not current and line.startswith("--"):
            yield "comment", line[2:].strip()
        elif not current and line.startswith("\\"):
            yield line.split()[0][1:], line.split()[1]
        elif not current and not line.strip():
            continue
        else:
            current.append(line.rstrip())
            if line.rstrip().endswith(";"):
                yield "sql", "\n".join(current).rstrip()[:-1]
                current = []
    if current:
        raise SystemExit(f"unfinished statement: {current}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PGPORT", "5432")))
    parser.add_argument("--to", default=".")
    options = parser.parse_args()
    count = 0
    for file in map(Path, options.files):
        output, connections, name = [], {}, ""
        text = file.read_text()
        drops = [slt.Record("statement", 0)]
        drops[0].sql = text
        runner = slt.Runner(argparse.Namespace(host=options.host, port=options.port, user="postgres",
                                               database="postgres", password=None, timeout=60,
                                               extended=False, engine="postgresql"))
        runner.drop_all(drops)
        for kind, part in statements(text):
            if kind == "comment":
                output.append(f"# {part}")
                continue
            if kind == "connection":
                name = part
                output.append(f"connection {name}\n")
                continue
            if kind in ("onlyif", "skipif"):
                output.append(f"{kind} {part}")
                continue
            if name not in connections:
                connections[name] = pgwire.connect(options.host, options.port)
            count += 1
            try:
                result = connections[name].query(part)[-1]
            except pgwire.Error as error:
                message = " ".join(error.message.split())
                output.append(f"statement error {error.sqlstate} {message}\n{part}\n")
                continue
            if not result.columns:
                output.append(f"statement ok\n{part}\n")
                continue
            rows = [[slt.format_value(value, "T") for value in row] for row in result.rows]
            head = "query " + "T" * len(result.columns)
            if len(rows) > 1 and "order by" not in part.lower() and not part.startswith("explain"):
                head += " rowsort"
                rows.sort()
            lines = [head, part, "----"] + ["\t".join(row) for row in rows]
            output.append("\n".join(lines) + "\n")
        for connection in connections.values():
            connection.close()
        runner.drop_all(drops)
        runner.close()
        target = Path(options.to) / (file.stem + ".slt")
        target.write_text("\n".join(output))
    print(f"{count} records written")


if __name__ == "__main__":
    main()
