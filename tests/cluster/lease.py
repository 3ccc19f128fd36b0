#!/usr/bin/env python3
"""Nodes with leases in etcd: one that was stopped, one that etcd cannot be reached from, a twin.

    tests/cluster/lease.py [--build release]
"""
import argparse
import os
import signal
import sys
import time

from cluster import Cluster, Etcd, connect, sqlstate, wait_for
from server import Checks, Server

LEASE = 2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    args = parser.parse_args()
    checks = Checks()
    with Etcd() as etcd, Cluster(
            args.build, arguments=["-c", f"router_control={etcd.url()}"],
            shard_arguments=["-c", f"cluster_control={etcd.url()}", "-c", f"cluster_lease={LEASE}s"]
    ) as cluster, connect(cluster.router) as a:
        route = "set tusk.route = 'epoch=0'"
        n1 = cluster.shards[0]
        a.query("create table t (id int primary key, v int) shard by hash (id) buckets 8")
        a.query("create table first (id int primary key, v int)")
        wait_for(lambda: all(row[1] for row in a.query("select name, epoch from tusk_nodes")[-1].rows))
        for i in range(20):
            a.query(f"insert into t values ({i}, 0)")
        epochs = a.query("select name, epoch from tusk_nodes order by 1")[-1].rows
        checks.check("nodes have leases, and routers see them",
                     [row[0] for row in epochs if row[1]] == ["n1", "n2", "n3"], epochs)

        with connect(n1) as held, connect(n1) as direct:
            held.query(route)
            held.query("begin")
            held.query("insert into first values (1, 1)")
            direct.query(route)
            n1.process.send_signal(signal.SIGSTOP)
            time.sleep(LEASE + 1.5)
            gone = a.query("select epoch from tusk_nodes where name = 'n1'")[-1].rows
            n1.process.send_signal(signal.SIGCONT)
            first = sqlstate(lambda: direct.query("insert into first values (2, 2)"))
            checks.check("who was stopped for longer has no lease in etcd", gone == [(None,)], gone)
            checks.check("and refuses the first routed write", first == "TR005", first)
            checks.check("not what is not routed", sqlstate(
                lambda: (direct.query("reset tusk.route"), direct.query("select 1 from first"))) is None)
            checks.check("it takes the lease again", wait_for(lambda: int(
                (a.query("select epoch from tusk_nodes where name = 'n1'")[-1].rows[0][0]) or 0)
                > int(epochs[0][1])))
            state = sqlstate(lambda: held.query("commit"))
            checks.check("and what was open may end", state is None, state)
        a.query("update t set v = v + 1 where id = 3")

        with connect(n1) as held, connect(cluster.shards[2]) as third:
            held.query(route)
            held.query("begin")
            held.query("insert into first values (3, 3)")
            etcd.kill()
            time.sleep(LEASE + 0.5)
            state = sqlstate(lambda: held.query("commit"))
            checks.check("without etcd: what was open cannot be committed", state == "TR005", state)
            third.query(route)
            state = sqlstate(lambda: third.query("insert into first values (9, 9)"))
            checks.check("nor is anything written", state == "TR005", state)
            got = a.query("select count(*) from t")[-1].rows
            checks.check("but it is read", got == [("20",)], got)
            etcd.start()
            began = time.monotonic()
            state = sqlstate(lambda: a.query("update t set v = v + 1 where id = 4"))
            checks.check("a router's client waits until it is there again", state is None,
                         (state, time.monotonic() - began))

        n1.kill()
        n1.start()
        wait_for(lambda: sqlstate(lambda: a.query("select 1 from first")) is None)
        began = time.monotonic()
        state = sqlstate(lambda: a.query("insert into first values (4, 4)"))
        checks.check("who was killed has it at once", state is None and time.monotonic() - began < 1.5,
                     (state, time.monotonic() - began))

        twin = Server(args.build, n1.arguments).start()
        try:
            with connect(twin) as other, connect(n1) as direct:
                other.query("create table first (id int primary key, v int)")
                direct.query(route)
                other.query(route)
                lost = wait_for(lambda: sqlstate(
                    lambda: direct.query("insert into first values (5, 5)")) == "TR005", 10)
                checks.check("of twins the one that came first has lost it", lost)
                time.sleep(LEASE)
                states = [sqlstate(lambda c=c: c.query("insert into first values (6, 6)"))
                          for c in (direct, other)]
                checks.check("and does not take it back", states == ["TR005", None], states)
                twin.kill()
                checks.check("while the other is there", wait_for(lambda: sqlstate(
                    lambda: direct.query("insert into first values (7, 7)")) is None))
        finally:
            twin.__exit__()
        got = a.query("select sum(v) from t")[-1].rows
        checks.check("nothing was done twice", got == [("2",)], got)
        got = {int(row[0]) for row in a.query("select id from first")[-1].rows} - {5}
        checks.check("or without a lease", got == {1, 4, 7}, got)
    return checks.done()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
