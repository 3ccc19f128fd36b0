#!/usr/bin/env python3
"""Transactions per second beside checkpoints: a series by the second, and the ratio of what is done
while one runs to what is done while none does.

    bench/checkpoint_series.py [--build release] [--seconds 60] [--scale 10] [--cache 1GB]
                               [--checkpoint-log 16MB] [--clients 8] [--floor 0.85]

pgbench -N (simple update) with prepared statements. Every 50 ms the server is asked whether a
checkpoint runs and how long its log is: each transaction adds the same to that, so the time between
two answers that agree is counted, however often checkpoints come. --cache 64MB --scale 20 is larger
than memory.

Beside the rates stands the processor time of the server per transaction, which says more where others
use the machine too: its ratio is printed as well, upside down, so that both are below 1 if a
checkpoint costs something. The checkpoint's own work is in it.

Exit status 1 if the ratio of the rates is below --floor.
"""
import argparse
import re
import subprocess
import sys
import threading
import time

from common import Server, cpu_seconds, pgwire, postgres


class Watch(threading.Thread):
    """Samples: time, whether a checkpoint runs, processor seconds, bytes of log."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.pid = server.process.pid
        self.connection = pgwire.connect(port=server.port)
        self.samples = []
        self.stopping = False

    def run(self):
        while not self.stopping:
            running, lsn = self.connection.rows(
                "select running, tusk_current_lsn() from tusk_checkpoint")[0]
            self.samples.append((time.time(), running == "t", cpu_seconds(self.pid), int(lsn, 16)))
            time.sleep(0.05)

    def sums(self, start, end):
        """By state: seconds, processor seconds, bytes of log."""
        found = {True: [0, 0, 0], False: [0, 0, 0]}
        for before, after in zip(self.samples, self.samples[1:]):
            if before[1] == after[1] and start <= before[0] and after[0] <= end:
                for i, at in enumerate((0, 2, 3)):
                    found[before[1]][i] += after[at] - before[at]
        return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--cache", default="1GB")
    parser.add_argument("--checkpoint-log", default="16MB")
    parser.add_argument("--floor", type=float, default=0.85)
    options = parser.parse_args()
    with Server(options.build, ["--cache-size", options.cache, "--checkpoint-log",
                                options.checkpoint_log]) as server:
        common = [f"{postgres.BIN}/pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"]
        subprocess.run(common + ["-i", "-q", "-s", str(options.scale), "postgres"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        watch = Watch(server)
        watch.start()
        start = time.time()
        run = subprocess.run(
            common + ["-N", "-n", "-M", "prepared", "-c", str(options.clients), "-P", "1", "-T",
                      str(options.seconds), "postgres"], capture_output=True, text=True, check=True)
        end = time.time()
        watch.stopping = True
        watch.join()
    previous = 0.0
    for at, rate in re.findall(r"progress: ([\d.]+) s, ([\d.]+) tps", run.stderr):
        seconds = {state: sums[0] for state, sums in
                   watch.sums(start + previous, start + float(at)).items()}
        previous = float(at)
        state = "during" if not seconds[False] else "both" if seconds[True] else "between"
        print(f"{float(at):6.1f} s {float(rate):8.0f} {state}")
    sums = watch.sums(start, end)
    if min(sums[state][0] for state in sums) < 1:
        print("hardly a second without, or with, a checkpoint: another --checkpoint-log is needed")
        return 1
    count = int(re.search(r"transactions actually processed: (\d+)", run.stdout).group(1))
    each = sum(sums[state][2] for state in sums) / count
    during, between = (sums[state][2] / sums[state][0] / each for state in (True, False))
    cost = {state: sums[state][1] * 1e6 * each / sums[state][2] for state in sums}
    print(f"{during:.0f} a second during ({sums[True][0]:.0f} s), {between:.0f} between "
          f"({sums[False][0]:.0f} s); processor time each {cost[True]:.0f} and {cost[False]:.0f} us: "
          f"ratio {cost[False] / cost[True]:.2f}")
    ratio = during / between
    print(f"throughput during a checkpoint / between: {ratio:.2f} (at least {options.floor:.2f}): "
          f"{'good' if ratio >= options.floor else 'TOO LOW'}")
    return 0 if ratio >= options.floor else 1


if __name__ == "__main__":
    sys.exit(main())
