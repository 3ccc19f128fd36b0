"""Starting and stopping tuskd for tests."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Server:
    def __init__(self, build="release", arguments=(), directory=None, environment=None):
        self.environment = environment
        self.sound = True   # its files are checked at the end
        self.binary = os.path.join(ROOT, "build", build, "tuskd")
        self.own = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="tusk_test_")
        self.arguments = list(arguments)
        self.process = None
        self.port = 0
        self.log = os.path.join(self.directory, "server.log")

    def start(self, timeout=120):
        offset = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "--data", os.path.join(self.directory, "data"), "--port",
                 str(self.port)] + self.arguments, stderr=log, stdin=subprocess.DEVNULL,
                env=self.environment)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with open(self.log, "rb") as log:
                log.seek(offset)
                text = log.read().decode("utf-8", "replace")
            found = re.search(r"ready: listening on .*, port (\d+)", text)
            if found:
                self.port = int(found.group(1))
                return self
            if self.process.poll() is not None:
                raise RuntimeError(f"tuskd ended with {self.process.returncode}:\n{text}")
            time.sleep(0.02)
        raise RuntimeError(f"tuskd did not become ready:\n{text}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, how=signal.SIGTERM, timeout=120):
        self.process.send_signal(how)
        return self.process.wait(timeout)

    def alive(self):
        return self.process.poll() is None

    def tail(self, lines=20):
        with open(self.log, "rb") as log:
            return "\n".join(log.read().decode("utf-8", "replace").split("\n")[-lines:])

    def __enter__(self):
        return self.start()

    def check(self):
        """What tuskd --check finds wrong in the directory of a server that has ended; None: nothing."""
        run = subprocess.run([self.binary, "--data", os.path.join(self.directory, "data"), "--check"],
                             capture_output=True, text=True, timeout=600, check=False)
        return None if run.returncode == 0 else run.stdout[-2000:] + run.stderr

    def __exit__(self, *why):
        """Ends the server, and looks whether its files are sound, whatever the test was about."""
        fault = None
        if self.process and self.process.poll() is None:
            try:
                self.stop(signal.SIGINT, 60)
                fault = self.check() if self.sound else None
            except subprocess.TimeoutExpired:
                self.kill()
        if self.own:
            shutil.rmtree(self.directory, ignore_errors=True)
        if fault is not None and why[:1] in ((), (None,)):
            raise RuntimeError(f"tuskd --check is not content:\n{fault}")


class Checks:
    """Counts what passed and failed, and ends like every test of ours."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what} {detail}", flush=True)

    def done(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0
