#!/usr/bin/env python3
"""make test: builds and runs everything, and ends with a line `N passed, N failed`."""
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(ROOT)
total = {"passed": 0, "failed": 0}


def excerpt(output, failed):
    """The end of a program's output; of ctest's, the end of each failed test's."""
    lines = output.strip().split("\n")
    tests = re.split(r"(?m)^(?=\s*\d+/\d+ Test +#)", output)
    if failed and len(tests) > 1:
        bad = [test for test in tests[1:] if " Passed " not in test.split("\n")[0]]
        return "\n".join("\n".join([test.split("\n")[0]] + test.strip().split("\n")[1:][-25:])
                         for test in bad)
    return "\n".join(lines[-(60 if failed else 8):])


def step(name, command, timeout=1800):
    """A program whose own last line counts, or that counts as one."""
    start = time.monotonic()
    print(f"=== {name}: {' '.join(command)}", flush=True)
    try:
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors="replace", timeout=timeout, check=False)
        output, code = run.stdout, run.returncode
    except subprocess.TimeoutExpired as error:
        output, code = (error.stdout or b"").decode("utf-8", "replace") + "\ntimed out", 1
    except OSError as error: # it could not even be started
        output, code = str(error), 1
    counts = re.findall(r"(\d+) passed, (\d+) failed", output)
    ctest = re.search(r"(\d+)% tests passed, (\d+) tests failed out of (\d+)", output)
    if ctest:
        failed, all_tests = int(ctest.group(2)), int(ctest.group(3))
        passed = all_tests - failed
    elif counts:
        passed, failed = int(counts[-1][0]), int(counts[-1][1])
    else:
        passed, failed = (1, 0) if code == 0 else (0, 1)
    if code != 0 and failed == 0:
        failed = 1
    total["passed"] += passed
    total["failed"] += failed
    print(excerpt(output, failed))
    print(f"=== {name}: {passed} passed, {failed} failed in {time.monotonic() - start:.0f} s\n",
          flush=True)
    return failed == 0


def build(preset):
    if not os.path.exists(f"build/{preset}/build.ninja"):
        subprocess.run(["cmake", "--preset", preset], stdout=subprocess.DEVNULL, check=True)
    return step(f"build {preset}", ["ninja", "-C", f"build/{preset}", "--quiet"])


def main():
    build("release")
    build("debug")
    build("tsan")
    step("unit tests, ASan and UBSan", ["ctest", "--test-dir", "build/debug", "-j2",
                                        "--output-on-failure"])
    step("multi-worker tests, TSan", ["ctest", "--test-dir", "build/tsan", "-L", "threads",
                                      "--output-on-failure"])
    for folder in ("golden",):
        if os.path.isdir(f"tests/{folder}"):
            step(f"tests/{folder}", ["tests/slt/slt.py", "--spawn", "debug", f"tests/{folder}"])
    step("golden files, extended protocol", ["tests/slt/slt.py", "--spawn", "release", "--extended",
                                             "tests/golden"])
    step("protocol, ASan", ["tests/system/protocol.py", "--build", "debug"])
    step("sagas", ["tests/system/saga.py", "--rounds", "2"])
    step("idempotency keys", ["tests/system/idempotency.py", "--rounds", "2"])
    step("differential", ["tests/system/differential.py", "--rounds", "20"])
    step("docs/sql.md is current", ["tools/sql_reference.py", "--check"])
    step("COPY's options", ["tests/system/copy_options.py"])
    step("limits of one client", ["tests/system/limits.py"])
    step("differential, calls", ["tests/system/differential_calls.py", "--calls", "8000"])
    step("differential, all in temporary files", [
        "tests/system/differential.py", "--rounds", "10", "--seed", "100", "--setting",
        "debug_work_mem_bytes=0"])
    step("larger than work_mem, ASan", ["tests/system/spill.py", "--build", "debug", "--rows", "6000"])
    step("shell, ASan", ["tests/shell/compare.py", "--spawn", "debug"])
    step("larger than memory", ["tests/system/larger_than_memory.py"])
    step("lifecycle, ASan", ["tests/system/lifecycle.py", "debug"])
    step("lifecycle", ["tests/system/lifecycle.py", "release"])
    step("cluster", ["tests/cluster/schema.py", "release"])
    step("routes", ["tests/cluster/routes.py"])
    step("passwords and TLS at nodes", ["tests/cluster/access.py"])
    step("control store, etcd", ["tests/cluster/control.py"])
    step("nodes with leases, etcd", ["tests/cluster/lease.py"])
    step("clients of a cluster", ["tests/cluster/clients.py"])
    step("clients' suites at a cluster", ["tests/clients/run.py", "--cluster", "libpq", "psycopg2", "psycopg3",
                                          "asyncpg", "dbd"])
    step("golden files, one node and three", ["tests/cluster/golden.py", "--sharded"])
    step("golden files, one node and three, extended protocol", ["tests/cluster/golden.py", "--extended"])
    step("COPY to nodes", ["tests/cluster/copy.py"])
    step("damage between nodes, ASan", ["tests/cluster/damage.py", "debug", "--seconds", "6"])
    step("replicated tables", ["tests/cluster/replicated.py"])
    step("one node and three", ["tests/cluster/differential.py", "--build", "debug", "--count", "600"])
    step("nodes drained, buckets spread", ["tests/cluster/balance.py"])
    step("buckets moved by the router", ["tests/cluster/moves.py"])
    step("sagas over three nodes", ["tests/cluster/sagas.py"])
    step("sagas over three nodes, amid trouble", ["tests/cluster/bank.py", "--seconds", "6"])
    step("buckets moved by routers amid kills and pauses, etcd", [
        "tests/cluster/moves.py", "--torture", "--seconds", "6", "--seed", "1"])
    step("buckets moved amid kills, etcd", ["tests/system/moves.py", "--seconds", "8", "--seed", "3",
                                            "--etcd"])
    step("router, ASan", ["tests/system/router.py", "debug"])
    step("access, ASan", ["tests/system/access.py", "debug"])
    step("TLS, ASan", ["tests/system/tls.py", "debug"])
    step("settings, ASan", ["tests/system/config.py", "debug"])
    step("clients", ["tests/clients/run.py"])
    step("bad input, ASan", ["tests/system/bad_input.py", "debug"])
    step("databases, ASan", ["tests/system/databases.py", "--build", "debug"])
    step("temporary objects, ASan", ["tests/system/temporary.py", "--build", "debug"])
    step("statistics, ASan", ["tests/system/statistics.py", "--build", "debug"])
    step("concurrency", ["tests/system/concurrency.py"])
    step("no bloat, snapshot too old", ["tests/system/bloat.py", "--passes", "6", "--rounds", "3"])
    step("simulator", ["build/release/tusk_sim", "--seed", "1", "--count", "300"])
    step("simulator, a crash at every file operation", [
        "build/release/tusk_sim", "--points", "--seed", "1", "--count", "1000"])
    step("simulator, ASan", ["build/debug/tusk_sim", "--once", "--seed", "5000", "--count", "25"])
    step("simulator, cluster", ["build/release/tusk_sim_cluster", "--seed", "1", "--count", "12"])
    step("simulator, planted bugs", ["tests/sim/planted.py"])
    step("isolation", ["tests/isolation/isolation.py", "--spawn", "release", "--limit", "12"])
    step("isolationtester", ["tests/isolation/isolationtester.py", "--spawn", "release", "--limit", "2"])
    step("a hot row and kill -9", ["tests/system/hot_row.py", "--rounds", "3"])
    step("histories", ["tests/isolation/checker.py", "--spawn", "release", "--short"])
    step("locks, ASan", ["tests/system/locks.py", "debug"])
    step("interleavings", ["tests/system/interleavings.py"])
    step("serializable", ["tests/system/serializable.py"])
    step("pgbench", ["tests/system/pgbench.py", "--seconds", "2"])
    step("backup", ["tests/system/backup.py"])
    step("faults", ["tests/system/faults.py"])
    step("sequences, kill -9", ["tests/system/sequences.py", "--rounds", "2"])
    step("kill -9", ["tests/system/kill.py", "--rounds", "5"])
    print(f"{total['passed']} passed, {total['failed']} failed", flush=True)
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
