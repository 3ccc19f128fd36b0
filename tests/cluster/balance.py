#!/usr/bin/env python3
"""ALTER CLUSTER DRAIN NODE and REBALANCE through two routers, one of which is killed on the way.

    tests/cluster/balance.py [--build release]
"""
import argparse
import sys
import tempfile
import threading
import time

from cluster import Cluster, connect, sqlstate
import pgwire
from server import Checks

GROUPS = {"public.t": 12, "public.days": 4, "public.lands": 2}


def owners(cluster):
    """Of each group: how many buckets each node has."""
    found = {group: [0] * len(cluster.shards) for group in GROUPS}
    for number, shard in enumerate(cluster.shards):
        with connect(shard) as conn:
            for group, count in conn.query("SELECT bucketgroup, count(*) FROM tusk_buckets "
                                           "WHERE state = 'owned' GROUP BY 1")[-1].rows:
                if group in found:
                    found[group][number] = int(count)
    return found


def write(router, stop, made):
    with connect(router, timeout=30) as conn:
        while not stop.is_set():
            conn.query(f"INSERT INTO t VALUES ({len(made)}, 0)")
            made.append(len(made))


def plans(router):
    with connect(router) as conn:
        return conn.query("SELECT plan, node, moved, to_move FROM tusk_router_plans")[-1].rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    args = parser.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="tusk_balance_") as folder, Cluster(
            args.build, arguments=["-c", f"router_control=file:{folder}/control", "-c",
                                   "router_balance_pause=20ms"]) as cluster:
        slow = cluster.new_router(["-c", "router_balance_pause=150ms"]).start()
        try:
            check(checks, cluster, slow)
        finally:
            slow.__exit__()
    return checks.done()


def check(checks, cluster, slow):
    n2 = cluster.shards[1]
    a = connect(cluster.router, timeout=60)
    a.query("CREATE TABLE t (id int PRIMARY KEY, v int) SHARD BY HASH (id) BUCKETS 12")
    a.query("CREATE TABLE days (day int PRIMARY KEY) SHARD BY RANGE (day) (100, 200, 300)")
    a.query("CREATE TABLE lands (land text PRIMARY KEY) SHARD BY LIST (land) (('de') ON 'n1', ('us') ON 'n1')")
    for day in range(0, 400, 10):
        a.query(f"INSERT INTO days VALUES ({day})")
    stop, made = threading.Event(), []
    writer = threading.Thread(target=write, args=(cluster.router, stop, made))
    writer.start()

    checks.check("unknown node", sqlstate(lambda: a.query("alter cluster drain node n9")) == "42704")
    checks.check("words", sqlstate(lambda: a.query("alter cluster empty node n2")) == "42601")
    checks.check("it has buckets", sqlstate(lambda: a.query("alter cluster drop node n2")) == "55006")
    a.query("alter cluster drain node n2")
    got = owners(cluster)
    checks.check("a drained node has no bucket", all(counts[1] == 0 for counts in got.values()), got)
    checks.check("the others have them evenly", got["public.t"] == [6, 0, 6], got)
    checks.check("and the plan is away", plans(cluster.router) == [], plans(cluster.router))
    a.query("alter cluster drop node n2")
    a.query(f"alter cluster add node n2 '127.0.0.1:{n2.port}'")
    a.query("alter cluster rebalance")
    got = owners(cluster)
    checks.check("who came gets its part", got["public.t"] == [4, 4, 4], got)
    totals = [got["public.t"][i] + got["public.days"][i] for i in range(3)]
    checks.check("in a range table, too", sorted(got["public.days"]) == [1, 1, 2], got)
    checks.check("what was put somewhere stays there", got["public.lands"] == [2, 0, 0], got)
    sums = [totals[i] + got["public.lands"][i] for i in range(3)]
    checks.check("in all they differ by as little as can be", max(sums) - min(sums) <= 2, got)
    before = got
    a.query("alter cluster rebalance")
    checks.check("there is nothing to be done", owners(cluster) == before)

    # one router begins, and is killed; the other goes on
    def begin():
        try:
            with connect(slow, timeout=60) as conn:
                conn.query("alter cluster drain node n3")
        except (OSError, pgwire.ConnectionLost):
            pass
    failed = []

    def begin_it():
        try:
            begin()
        except Exception as error:  # pylint: disable=broad-except
            failed.append(error)
    thread = threading.Thread(target=begin_it)
    thread.start()
    end = time.monotonic() + 30
    shown = []
    while time.monotonic() < end:
        shown = plans(cluster.router)
        if shown and int(shown[0][2]) >= 1:
            break
        time.sleep(0.05)
    checks.check("the plan is shown", len(shown) == 1 and shown[0][:2] == ("drain", "n3")
                 and 0 < int(shown[0][3]) < 8, (shown, failed))
    slow.kill()
    thread.join()
    end = time.monotonic() + 40
    while time.monotonic() < end and plans(cluster.router):
        time.sleep(0.1)
    got = owners(cluster)
    checks.check("another router ends the plan", plans(cluster.router) == []
                 and all(counts[2] == 0 for counts in got.values()), (got, plans(cluster.router)))
    checks.check("evenly", sorted(got["public.t"]) == [0, 6, 6], got)

    # two at once, of which one is canceled
    slow.start()
    with connect(slow, timeout=60) as other:
        states = []
        thread = threading.Thread(target=lambda: states.append(
            sqlstate(lambda: other.query("alter cluster rebalance"))))
        thread.start()
        while not plans(cluster.router) and thread.is_alive():
            time.sleep(0.01)
        time.sleep(0.2)
        other.cancel()
        thread.join()
    checks.check("a canceled one is given up", states == ["57014"] and plans(cluster.router) == [],
                 (states, plans(cluster.router)))
    a.query("alter cluster rebalance")
    got = owners(cluster)
    checks.check("and may be begun anew", got["public.t"] == [4, 4, 4], got)
    stop.set()
    writer.join()
    count = a.query("SELECT count(*), count(DISTINCT id) FROM t")[-1].rows[0]
    checks.check("no row is lost or there twice", [int(x) for x in count] == [len(made)] * 2, (count, len(made)))
    checks.check("nor of the others", int(a.query("SELECT count(*) FROM days")[-1].rows[0][0]) == 40)
    a.close()


if __name__ == "__main__":
    sys.exit(main())
