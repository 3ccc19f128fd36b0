#!/usr/bin/env python3
"""The control store in etcd: its promises, and a watch that is one.

    tests/cluster/control.py [--build release]

The watcher (tests/unit/shard_ctl_test.c) must hear of each change at once and without asking, when etcd is
killed, stopped, compacted and started again, and must come to no harm by a server that answers nonsense.
"""
import argparse
import base64
import http.server
import json
import os
import queue
import signal
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request

from lease import Etcd, wait_for
from server import ROOT, Checks


class Watcher:
    def __init__(self, build, url, times):
        self.process = subprocess.Popen(
            [os.path.join(ROOT, "build", build, "unit_shard_ctl_test"), url, "watch", str(times)],
            stdout=subprocess.PIPE, text=True)
        self.lines, self.errors = queue.Queue(), 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("error"):
                self.errors += 1
            else:
                self.lines.put(line.strip())

    def next(self, timeout=8):
        """What it says, and after how long."""
        began = time.monotonic()
        try:
            return self.lines.get(timeout=timeout), time.monotonic() - began
        except queue.Empty:
            return None, timeout

    def send(self, number):
        self.process.send_signal(number)


def post(etcd, path, **body):
    request = urllib.request.Request(f"http://127.0.0.1:{etcd.ports[0]}/v3/{path}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def put(etcd, value):
    encoded = [base64.b64encode(text.encode()).decode() for text in ("tusk/w/a", str(value))]
    return int(post(etcd, "kv/put", key=encoded[0], value=encoded[1])["header"]["revision"])


def metric(etcd, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{etcd.ports[0]}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    return None


def up(etcd):
    def answers():
        try:
            return post(etcd, "kv/range", key="AA==") is not None
        except OSError:
            return False
    assert wait_for(answers), "etcd does not start"


class Nonsense(http.server.BaseHTTPRequestHandler):
    """Sound answers to reads, and to a watch whatever is next in the list."""
    protocol_version = "HTTP/1.1"
    revision = 100
    answers = [b"", b"{}\n", b"nonsense\n", b'{"result":{}}\n' * 50, b'{"result":7}\n[]\nnull\n',
               b'{"result":{"header":{"revision":-1},"events":"x"}}\n',
               b'{"result":{"header":{"revision":"99999999999999999999"},"events":[{}]}}\n',
               b'{"result":{"canceled":true,"compact_revision":"5"}}\n', b"\0\xff\n" * 9, b"a" * 3_000_000,
               b"[" * 100_000 + b"\n"]
    asked = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("watch"):
            body = Nonsense.answers[Nonsense.asked % len(Nonsense.answers)]
            Nonsense.asked += 1
        else:
            body = json.dumps({"header": {"revision": str(Nonsense.revision)}, "kvs": [
                {"mod_revision": str(Nonsense.revision), "key": "eA=="}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def nonsense(checks, build, ending):
    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True
    server = Server(("127.0.0.1", 0), Nonsense)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    watcher = Watcher(build, f"etcd://127.0.0.1:{server.server_port}/tusk/", 2)
    first, _ = watcher.next()
    wait_for(lambda: Nonsense.asked > 2 * len(Nonsense.answers))
    Nonsense.revision += 1
    second, _ = watcher.next(10)
    ending.append(watcher.process.kill)
    checks.check("nonsense does no harm", (first, second) == ("changed", "changed"),
                 (first, second, Nonsense.asked, watcher.process.poll()))
    watcher.send(signal.SIGKILL)
    watcher.process.wait()
    server.shutdown()


def main(ending):
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    args = parser.parse_args()
    checks = Checks()
    with Etcd() as etcd:
        up(etcd)
        test = os.path.join(ROOT, "build", args.build, "unit_shard_ctl_test")
        done = subprocess.run([test, etcd.url()], capture_output=True, text=True, check=False, timeout=120)
        checks.check("what ctl.h promises, in etcd", done.returncode == 0, done.stderr[-300:])

        put(etcd, 0)
        watcher = Watcher(args.build, etcd.url(), 8)
        ending.append(watcher.process.kill)
        checks.check("it says what is there", watcher.next()[0] == "changed")
        wait_for(lambda: metric(etcd, "etcd_debugging_mvcc_watcher_total") == 1)
        asked = metric(etcd, "etcd_debugging_mvcc_range_total")
        time.sleep(1)
        asked = metric(etcd, "etcd_debugging_mvcc_range_total") - asked
        put(etcd, 1)
        line, took = watcher.next()
        checks.check("a change is heard of", line == "changed")
        checks.check("at once, without asking", asked <= 1 and took < 1, (asked, took))

        etcd.kill()
        etcd.start()
        up(etcd)
        put(etcd, 2)
        checks.check("etcd was killed", watcher.next()[0] == "changed")

        wait_for(lambda: metric(etcd, "etcd_debugging_mvcc_watcher_total") == 1)
        watcher.send(signal.SIGSTOP)   # its stream ends, and what it would ask for next is forgotten
        etcd.kill()
        etcd.start()
        up(etcd)
        put(etcd, 3)
        post(etcd, "kv/compaction", revision=str(put(etcd, 4)))
        watcher.send(signal.SIGCONT)
        line, took = watcher.next()
        checks.check("changes it has missed, and etcd was compacted", line == "changed")
        checks.check("are heard of at once", took < 5, took)   # not because nothing was heard for long

        etcd.process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        etcd.process.send_signal(signal.SIGCONT)
        put(etcd, 5)
        checks.check("etcd was stopped", watcher.next()[0] == "changed")

        watcher.send(signal.SIGSTOP)
        put(etcd, 6)
        time.sleep(0.3)
        watcher.send(signal.SIGCONT)
        checks.check("the watcher was stopped", watcher.next()[0] == "changed")
        post(etcd, "kv/deleterange", key=base64.b64encode(b"tusk/w/a").decode())
        checks.check("a document goes", watcher.next()[0] == "changed")
        put(etcd, 7)
        checks.check("and comes", watcher.next()[0] == "changed")
        checks.check("it closes", watcher.next()[0] == "closed")
        checks.check("and etcd knows", wait_for(
            lambda: metric(etcd, "etcd_debugging_mvcc_watcher_total") == 0, 1.5))
        watcher.process.kill()
        watcher.process.wait()
    nonsense(checks, args.build, ending)
    return checks.done()


if __name__ == "__main__":
    at_end = []
    try:
        sys.exit(main(at_end))
    finally:
        for end in at_end:
            end()
