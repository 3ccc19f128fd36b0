#!/usr/bin/env python3
"""tusk-router beside PgBouncer, both as poolers in front of the same tuskd: pgbench -S.

    bench/router.py                       # 3 rounds of 5 s a cell
    bench/router.py --short               # 1 round of 2 s
    bench/router.py --clients 8,64 --protocols simple --output table.md

By turns, the first changing, so that what else the machine does meets both. PgBouncer pools by
transaction for simple and extended; for prepared by session, since its 1.18 cannot otherwise. CPU
is the pooler's own, per transaction. Latencies are from pgbench's log; "direct" is without a pooler.
"""
import argparse
import glob
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "cluster"))
import postgres
from cluster import Router
from server import Server

BINARIES = "/usr/lib/postgresql/15/bin"
POOL = 40


def cpu_us(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


class Bouncer:
    def __init__(self, directory, port, server, mode):
        self.port = port
        path = os.path.join(directory, f"{mode}.ini")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"""[databases]
postgres = host=127.0.0.1 port={server.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = {mode}
default_pool_size = {POOL if mode == "transaction" else 100}
max_client_conn = 1000
logfile = {directory}/{mode}.log
unix_socket_dir =
ignore_startup_parameters = extra_float_digits
""")
        os.chmod(directory, 0o777)
        command = ["/usr/sbin/pgbouncer", "-q", path]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] + command
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        if self.process.poll() is not None:
            raise RuntimeError("pgbouncer did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def run(port, protocol, clients, seconds, pid, directory):
    """(tps, CPU us a transaction, p50 ms, p99 ms)"""
    prefix = os.path.join(directory, "log")
    before = cpu_us(pid) if pid else 0
    result = subprocess.run(
        [f"{BINARIES}/pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-S", "-n", "-M",
         protocol, "-c", str(clients), "-j", "2", "-T", str(seconds), "--log", "--log-prefix", prefix,
         "postgres"], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(result.stderr[-500:])
    used = cpu_us(pid) - before if pid else 0
    times = []
    for name in glob.glob(prefix + ".*"):
        with open(name, encoding="ascii") as file:
            times += [int(line.split()[2]) for line in file]
        os.unlink(name)
    times.sort()
    tps = float(re.search(r"tps = ([\d.]+)", result.stdout).group(1))
    return tps, used / len(times), times[len(times) // 2] / 1e3, times[len(times) * 99 // 100] / 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default="8,32,64")
    parser.add_argument("--protocols", default="simple,prepared")
    parser.add_argument("--workers", default="1", help="of the router; PgBouncer has one")
    parser.add_argument("--output")
    options = parser.parse_args()
    if options.short:
        options.seconds, options.rounds, options.clients = 2, 1, "8,64"
    lines = ["| protocol | clients | tps PgBouncer | tps tusk-router | ratio | CPU µs/tx PgBouncer | "
             "CPU µs/tx tusk-router | p99 ms direct | p99 ms PgBouncer | p99 ms tusk-router |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    with tempfile.TemporaryDirectory(prefix="tusk_router_") as directory, Server() as server:
        router = Router("release", f"n1=127.0.0.1:{server.port}",
                        ["--workers", options.workers, "-c", f"router_pool_size={POOL}"]).start()
        bouncers = {mode: Bouncer(directory, postgres.free_port(), server, mode)
                    for mode in ("transaction", "session")}
        subprocess.run([f"{BINARIES}/pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U",
                        "postgres", "-i", "-s", "10", "-q", "postgres"], check=True,
                       capture_output=True)
        for protocol in options.protocols.split(","):
            bouncer = bouncers["session" if protocol == "prepared" else "transaction"]
            for clients in map(int, options.clients.split(",")):
                found = {"direct": [], "bouncer": [], "router": []}
                for i in range(options.rounds):
                    turns = [("bouncer", bouncer.port, bouncer.process.pid),
                             ("router", router.port, router.process.pid)]
                    for name, port, pid in turns if i % 2 == 0 else reversed(turns):
                        found[name].append(run(port, protocol, clients, options.seconds, pid, directory))
                    found["direct"].append(run(server.port, protocol, clients, options.seconds, None,
                                               directory))
                middle = {name: [statistics.median(v) for v in zip(*rows)]
                          for name, rows in found.items()}
                b, r, d = middle["bouncer"], middle["router"], middle["direct"]
                lines.append(f"| {protocol} | {clients} | {b[0]:,.0f} | {r[0]:,.0f} | **{r[0] / b[0]:.2f}** "
                             f"| {b[1]:.1f} | {r[1]:.1f} | {d[3]:.2f} | {b[3]:.2f} | {r[3]:.2f} |")
                print(lines[-1], flush=True)
        for bouncer in bouncers.values():
            bouncer.stop()
        router.__exit__()
    text = "\n".join(lines) + f"\n\n{options.seconds} s a run, medians of {options.rounds} rounds.\n"
    print(text)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
