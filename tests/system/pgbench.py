#!/usr/bin/env python3
"""pgbench against Tusk: every script, protocol and client count; then the sums must agree."""
import argparse
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from server import Checks, Server

PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--scale", type=int, default=1)
    arguments.add_argument("--seconds", type=int, default=2)
    arguments.add_argument("--clients", default="1,8")
    arguments.add_argument("--build", default="release")
    options = arguments.parse_args()
    checks = Checks()
    with Server(options.build, ["--cache-size", "2GB"]) as server:
        base = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"]
        loaded = subprocess.run([PGBENCH, "-i", "-s", str(options.scale), "-q"] + base + ["postgres"],
                                capture_output=True, text=True, check=False)
        checks.check("pgbench -i", loaded.returncode == 0, loaded.stderr[-500:])
        for words in (["-I", "dtGvpf"], ["--foreign-keys", "--unlogged-tables"], ["-I", "dtgvp"]):
            made = subprocess.run([PGBENCH, "-i", "-q", "-s", str(options.scale), *words] + base + ["postgres"],
                                  capture_output=True, text=True, check=False)
            checks.check(f"pgbench -i {' '.join(words)}", made.returncode == 0, made.stderr[-500:])
        for script in ("tpcb-like", "simple-update", "select-only"):
            for mode in ("simple", "extended", "prepared"):
                for clients in options.clients.split(","):
                    run = subprocess.run(
                        [PGBENCH, "-b", script, "-M", mode, "-c", clients, "-j",
                         str(min(2, int(clients))), "-T", str(options.seconds), "-n"] + base +
                        ["postgres"], capture_output=True, text=True, check=False)
                    failed = re.search(r"number of failed transactions: (\d+)", run.stdout)
                    tps = re.search(r"tps = ([\d.]+)", run.stdout)
                    fine = run.returncode == 0 and failed and failed.group(1) == "0"
                    checks.check(f"{script} {mode} {clients}", fine,
                                 run.stdout[-300:] + run.stderr[-500:])
                    print(f"{script:14} {mode:9} {clients:>3} clients: "
                          f"{tps.group(1) if tps else '?'} tps", flush=True)
        connection = pgwire.connect(port=server.port)
        sums = [connection.rows(f"select sum({column}) from {table}")[0][0] for column, table in (
            ("bbalance", "pgbench_branches"), ("tbalance", "pgbench_tellers"),
            ("delta", "pgbench_history"))]
        # simple-update moves accounts only, so history and accounts agree among themselves.
        abalance = connection.rows("select sum(abalance) from pgbench_accounts")[0][0]
        checks.check("sum(abalance) = sum(delta)", abalance == sums[2], f"{abalance} {sums}")
        checks.check("sum(bbalance) = sum(tbalance)", sums[0] == sums[1], f"{sums}")
        connection.close()
        checks.check("the server lives", server.alive())
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
