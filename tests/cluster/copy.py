#!/usr/bin/env python3
"""COPY through the router: rows go where their buckets are, and all or none of them stay.

    tests/cluster/copy.py [BUILD]
"""
import sys

from cluster import Cluster, connect
import pgwire
from server import Checks


def outcome(action):
    """(SQLSTATE, reason's number or '') of an error, or None"""
    try:
        action()
    except pgwire.Error as error:
        words = (error.detail or "").split()
        return error.sqlstate, words[1] if words[:1] == ["Reason"] else ""
    return None


def lines(keys, text="x"):
    return "".join(f"{k}\t{text}{k}\n" for k in keys).encode()


def count(connection, table):
    return connection.query(f"select count(*) from {table}")[-1].rows[0][0]


def placed(cluster, table):
    """Rows on each shard."""
    found = []
    for shard in cluster.shards:
        with connect(shard) as direct:
            found.append(int(count(direct, table)))
    return found


def alone(checks, cluster, a):
    a.query("create table t (k int primary key, v text, d int default 7, check (k <> 13)) "
            "shard by hash (k) buckets 16")
    a.query("create table r (k int primary key, v text) shard by range (k) ((100), (200))")
    a.query("create table plain (k int primary key, v text)")
    got = outcome(lambda: a.copy_in("copy t (k, v) from stdin", lines(range(50))))
    checks.check("rows of several shards are refused", got == ("0A000", "15"), got)
    checks.check("and none stays", placed(cluster, "t") == [0, 0, 0])
    a.copy_in("copy r from stdin", lines(range(100, 150)))
    checks.check("rows of one shard go there", placed(cluster, "r") == [0, 50, 0], placed(cluster, "r"))
    a.copy_in("copy plain from stdin", lines(range(5)))
    checks.check("a table that is not sharded", count(a, "plain") == "5")


def spread(checks, cluster, a):
    a.query("set tusk.copy_spread = on")
    for bad, state in ((b"13\tx\n", "23514"), (b"5\tx\n5\ty\n", "23505"), (b"nonsense\tx\n", "22P02")):
        got = outcome(lambda bad=bad: a.copy_in("copy t (k, v) from stdin", lines(range(20, 90)) + bad))
        checks.check(f"an error leaves nothing ({state})",
                     got == (state, "") and placed(cluster, "t") == [0, 0, 0], (got, placed(cluster, "t")))
    a.copy_in("copy t (k, v) from stdin", lines(range(100, 3100)))
    where = placed(cluster, "t")
    checks.check("rows go to all shards", sum(where) == 3000 and min(where) > 500, where)
    got = a.query("select count(*), count(distinct k), sum(d), min(v), max(v) from t")[-1].rows
    checks.check("with the nodes' defaults", got == [("3000", "3000", "21000", "x100", "x999")], got)
    wrong = 0
    for k in range(100, 3100, 37):
        wrong += a.query(f"select v from t where k = {k}")[-1].rows != [(f"x{k}",)]
    checks.check("each row where it is looked for", wrong == 0, wrong)
    a.query("delete from t where k = 100")
    a.copy_in("copy t (v, k) from stdin (format csv, header)", b'v,k\n"a,\t\\ ""b""\n",100\n')
    got = a.query("select v from t where k = 100")[-1].rows
    checks.check("any text comes through", got == [('a,\t\\ "b"\n',)], got)
    a.query("create table copied (k int primary key, v text, d int) shard by hash (k) buckets 16")
    for options in ("", " (format csv)", " (format binary)"):
        data = a.copy_out(f"copy t to stdout{options}")
        a.copy_in(f"copy copied from stdin{options}", data)
        same = a.query("select count(*) from t join copied c using (k, d) where t.v = c.v")[-1].rows
        checks.check(f"out and in again{options}", same == [("3000",)], same)
        a.query("truncate copied")
    got = a.copy_out("copy (select d, count(*) from t group by d) to stdout")
    checks.check("COPY of a query", got == b"7\t3000\n", got)
    got = outcome(lambda: a.copy_in("copy t (v) from stdin", b"x\n"))
    checks.check("not without the shard column", got == ("0A000", "9"), got)


def in_blocks(checks, cluster, a):
    a.query("begin")
    a.query("insert into r values (1, 'first')")
    a.copy_in("copy r from stdin", lines(range(10, 20)))
    got = a.query("select count(*) from r where k < 100")[-1].rows
    checks.check("COPY in a block is on its shard", got == [("11",)], got)
    a.query("rollback")
    checks.check("and goes with it", placed(cluster, "r") == [0, 50, 0], placed(cluster, "r"))
    a.query("begin")
    a.copy_in("copy r from stdin", lines(range(210, 220)))
    a.query("insert into r values (230, 'behind')")
    got = outcome(lambda: a.copy_in("copy r from stdin", lines([220, 20])))
    checks.check("not on a second one", got == ("0A000", "4"), got)
    state = outcome(lambda: a.query("select 1"))
    checks.check("then the block has failed", state == ("25P02", ""), state)
    a.query("rollback")
    checks.check("and nothing stays", placed(cluster, "r") == [0, 50, 0], placed(cluster, "r"))
    a.query("begin")
    a.copy_in("copy r from stdin", lines(range(210, 220)))
    a.query("commit")
    checks.check("COMMIT keeps it", placed(cluster, "r") == [0, 50, 10], placed(cluster, "r"))
    a.query("begin")
    got = outcome(lambda: a.copy_in("copy r from stdin", lines([210])))
    a.query("rollback")
    checks.check("an error of the shard is its own", got == ("23505", ""), got)
    checks.check("and the client goes on", count(a, "r") == "60")


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    with Cluster(build) as cluster, connect(cluster.router) as a:
        alone(checks, cluster, a)
        in_blocks(checks, cluster, a)
        spread(checks, cluster, a)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
