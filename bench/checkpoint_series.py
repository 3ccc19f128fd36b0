#!/usr/bin/env python3
"""Transactions per second beside checkpoints: a series by the second, and the ratio of the seconds in
which one ran to those in which none did.

    bench/checkpoint_series.py [--build release] [--seconds 60] [--scale 10] [--cache 1GB]
                               [--checkpoint-log 16MB] [--clients 8] [--floor 0]

pgbench -N (simple update) with prepared statements; whether a checkpoint runs is read from
tusk_checkpoint. A second counts as neither if it saw a beginning or an end. --cache 64MB --scale 20
is larger than memory. Exit status 1 if the ratio is below --floor.
"""
import argparse
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import pgwire
from server import Server

PGBENCH = next((path for path in ("/usr/lib/postgresql/15/bin/pgbench", "/usr/bin/pgbench")
                if os.path.exists(path)), "pgbench")


class Watch(threading.Thread):
    """When checkpoints ran: a sample every 50 ms."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.connection = pgwire.connect(port=port)
        self.samples = []

    def run(self):
        try:
            while True:
                running = self.connection.rows("select running from tusk_checkpoint")[0][0] == "t"
                self.samples.append((time.time(), running))
                time.sleep(0.05)
        except (pgwire.Error, OSError):
            pass    # the server has ended

    def state(self, start, end):
        """'during', 'between', or None for a second that saw both."""
        seen = {running for at, running in self.samples if start <= at < end}
        return {(True,): "during", (False,): "between"}.get(tuple(seen))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--cache", default="1GB")
    parser.add_argument("--checkpoint-log", default="16MB")
    parser.add_argument("--floor", type=float, default=0)
    options = parser.parse_args()
    with Server(options.build, ["--cache-size", options.cache, "--checkpoint-log",
                                options.checkpoint_log]) as server:
        common = [PGBENCH, "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"]
        subprocess.run(common + ["-i", "-q", "-s", str(options.scale), "postgres"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        watch = Watch(server.port)
        watch.start()
        start = time.time()
        run = subprocess.run(
            common + ["-N", "-n", "-M", "prepared", "-c", str(options.clients), "-P", "1", "-T",
                      str(options.seconds), "postgres"], capture_output=True, text=True, check=True)
        rates = {"during": [], "between": []}
        previous = 0.0
        for at, rate in re.findall(r"progress: ([\d.]+) s, ([\d.]+) tps", run.stderr):
            state = watch.state(start + previous, start + float(at))
            previous = float(at)
            print(f"{float(at):6.1f} s {float(rate):8.0f} {state or 'both'}")
            if state is not None:
                rates[state].append(float(rate))
    if not rates["during"] or not rates["between"]:
        print("no second without a change: another --checkpoint-log is needed")
        return 1
    during, between = (sum(rates[state]) / len(rates[state]) for state in ("during", "between"))
    print(f"{during:.0f} a second during ({len(rates['during'])} s), {between:.0f} between "
          f"({len(rates['between'])} s): {100 * during / between:.0f} %")
    return 0 if during >= options.floor * between else 1


if __name__ == "__main__":
    sys.exit(main())
