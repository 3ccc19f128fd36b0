#!/usr/bin/env python3
"""Definitions, numbers and refusals of a cluster, with nodes and routers that go away.

    tests/cluster/schema.py [BUILD]
"""
import sys
import tempfile
import threading
import time

from cluster import Cluster, Router, connect, rows, sqlstate, wait_for
import pgwire
from server import Checks


VERSION = "select max(version) from tusk_cluster.ddl"


def definitions(checks, cluster):
    with connect(cluster.router) as a:
        a.query("create table t (id int primary key, v text) shard by hash (id) buckets 16")
        wanted = sqlstate(lambda: a.query("create table t (id int)"))
        checks.check("a definition that is wrong is refused by its own SQLSTATE", wanted == "42P07", wanted)
        found = [rows(s, VERSION) for s in cluster.shards]
        checks.check("and no node has heard of it", found == [[("1",)]] * 3, found)
        owned = [int(rows(s, "select count(*) from tusk_buckets where state = 'owned'")[0][0])
                 for s in cluster.shards]
        checks.check("buckets are given out evenly", sum(owned) == 16 and min(owned) >= 5, owned)
        a.execute("create table ext (id int primary key) shard by hash (id) buckets 4")
        checks.check("definitions by the extended protocol",
                     a.query("select count(*) from ext")[-1].rows == [("0",)])
        a.query("begin")
        state = sqlstate(lambda: a.query("create table in_block (a int)"))
        a.query("rollback")
        checks.check("not in a block", state == "0A000", state)

        cluster.shards[2].kill()
        a.query("alter table t add column w int default 5")
        found = [rows(s, VERSION) for s in cluster.shards[:2]]
        checks.check("a node that is away does not stop a definition", found == [[("3",)]] * 2, found)
        cluster.shards[2].start()
        checks.check("it gets it when it is back",
                     wait_for(lambda: rows(cluster.shards[2], VERSION) == [("3",)]))

        cluster.shards[0].kill()
        state = sqlstate(lambda: a.query("create table lost (a int)"))
        checks.check("without the first node there is none", state in ("08001", "08007"), state)
        cluster.shards[0].start()
        checks.check("nor later", wait_for(lambda: a.query(VERSION)[-1].rows == [("3",)]))


def two_routers(checks, cluster):
    with cluster.new_router() as second, connect(cluster.router) as a, connect(second) as b:
        checks.check("a new router knows the schema", sqlstate(lambda: b.query("select w from t")) is None)
        b.query("insert into t values (100, 'b')")
        got = a.query("select id, v, w from t where id = 100")[-1].rows
        checks.check("and both see the same rows", got == [("100", "b", "5")], got)
        a.query("create table of_a (id int primary key) shard by hash (id) buckets 4")
        b.query("create table of_b (id int primary key) shard by hash (id) buckets 4")
        both = all(wait_for(lambda c=c: len(c.query("select * from of_a, of_b")) == 1) for c in (a, b))
        checks.check("two routers change the schema by turns", both)
        versions = [rows(s, VERSION)[0][0] for s in cluster.shards]
        checks.check("and nodes have both changes", versions == ["5"] * 3, versions)


def numbers(checks, cluster):
    with connect(cluster.router) as a:
        a.query("create table ids (id bigserial, k int primary key) shard by hash (k) buckets 16")
        for k in range(30):
            a.query(f"insert into ids (k) values ({k})")
        for shard in cluster.shards:   # near the end of each block
            rows(shard, "select setval('ids_id_seq', (select max_value - 2 from pg_sequences "
                        "where sequencename = 'ids_id_seq'))")
        for k in range(30, 90):
            a.query(f"insert into ids (k) values ({k})")
        with cluster.new_router() as second:
            def insert(router, first):
                with connect(router) as c:
                    for k in range(first, first + 150):
                        c.query(f"insert into ids (k) values ({k})")
            for shard in cluster.shards:   # all need another block amid what follows
                rows(shard, "select setval('ids_id_seq', (select max_value - 40 from pg_sequences "
                            "where sequencename = 'ids_id_seq'))")
            threads = [threading.Thread(target=insert, args=(r, f))
                       for r, f in ((cluster.router, 1000), (second, 2000), (second, 3000))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        got = a.query("select count(*), count(distinct id) from ids")[-1].rows
        checks.check("numbers of three shards and two routers differ, block after block",
                     got == [("540", "540")], got)


def one_moment(checks, cluster):
    """Rows are added on one shard, then on another, by one client; a reader sees no second one alone."""
    with connect(cluster.router) as a, connect(cluster.router) as b:
        a.query("create table pairs (k int primary key, n int) shard by hash (k) buckets 16")
        bad = 0
        for n in range(60):
            a.query(f"insert into pairs values ({2 * n}, {n})")
            a.query(f"insert into pairs values ({2 * n + 1}, {n})")
            if n % 3 == 0:
                got = b.query("select n, count(*), min(k) from pairs group by n")[-1].rows
                bad += sum(1 for _, count, _ in got if count != "2") + (len(got) != n + 1)
        checks.check("a query sees all that was answered before it", bad == 0, bad)


def moves(checks, cluster):
    """Buckets change places while clients of both protocols count rows up."""
    with connect(cluster.router) as a:
        a.query("create table mv (id int primary key, n int) shard by hash (id) buckets 8")
        for i in range(100):
            a.query(f"insert into mv values ({i}, 0)")
        stop, done, errors = threading.Event(), [0, 0], []

        def count_up(which, extended):
            with connect(cluster.router) as c:
                i = 0
                while not stop.is_set():
                    i += 1
                    try:
                        if extended:
                            c.execute("update mv set n = n + 1 where id = $1", [str(i % 100)])
                        else:
                            c.query(f"update mv set n = n + 1 where id = {i % 100}")
                        done[which] += 1
                    except pgwire.Error as error:
                        errors.append(f"{'extended' if extended else 'simple'} {error}")

        def read_all():
            with connect(cluster.router) as c:
                while not stop.is_set():
                    try:
                        seen.add(c.query("select count(*) from mv")[-1].rows[0][0])
                        seen.add(str(len(c.query("select * from mv where id >= 0")[-1].rows)))
                    except pgwire.Error as error:
                        errors.append(f"reading {error}")
        seen = set()
        threads = [threading.Thread(target=count_up, args=(0, False)),
                   threading.Thread(target=count_up, args=(1, True)), threading.Thread(target=read_all)]
        for thread in threads:
            thread.start()
        phases = set()

        def look_at_moves():
            with connect(cluster.router) as c:
                while not stop.is_set():
                    phases.update(c.query("select role, phase from tusk_moves where bucketgroup = "
                                          "'public.mv'")[-1].rows)
        threads.append(threading.Thread(target=look_at_moves))
        threads[-1].start()
        for node in ("n2", "n3", "n1"):
            for bucket in (0, 3, 7):
                a.query(f"alter table mv move bucket {bucket} to {node}")
        stop.set()
        for thread in threads:
            thread.join()
        got = a.query("select count(*), sum(n) from mv")[-1].rows
        checks.check("tusk_moves shows both sides", {role for role, _ in phases} == {"sends", "receives"}, phases)
        checks.check("no client hears of a move", not errors, errors[:2])
        checks.check("who reads all nodes sees each row once", seen == {"100"}, seen)
        checks.check("and nothing is lost or done twice", got == [("100", str(sum(done)))], (got, done))
        owned = [rows(s, "select bucket from tusk_buckets where bucketgroup = 'public.mv' and "
                         "state = 'owned' order by 1") for s in cluster.shards]
        checks.check("buckets are where they were sent",
                     all((str(b),) in owned[0] for b in (0, 3, 7)), owned)
        state = sqlstate(lambda: a.query("alter table mv move bucket 99 to n1"))
        checks.check("a bucket that is not there", state == "42704", state)


OLD = ["-c", "router_sync=1h", "-c", "router_watch=off"]   # learns of changes by being refused alone


def old_router(checks, cluster):
    """What another router has changed, one that has not heard of it does not take for what it was."""
    with connect(cluster.router) as a:
        a.query("create table od (day int primary key, x int) shard by range (day) (100, 200)")
        a.query("create table shape (k int primary key, v text) shard by hash (k) buckets 4")
        a.query("create table plain (k int primary key, v text)")
        a.query("create schema other")
        for day in range(0, 300, 10):
            a.query(f"insert into od values ({day}, {day})")
        for k in range(20):
            a.query(f"insert into shape values ({k}, 'old')")
            a.query(f"insert into plain values ({k}, 'old')")
    with cluster.new_router(OLD) as late, connect(cluster.router) as a, connect(late) as b:
        def day(n):
            return b.query(f"select x from od where day = {n}")[-1].rows

        def day_extended(n):
            return b.execute("select x from od where day = $1", [str(n)]).rows

        checks.check("it knows the table", day(170) == [("170",)] and day_extended(160) == [("160",)])
        b.query("select v from shape where k = 3")
        b.query("select v from plain where k = 3")
        a.query("alter table od split at (150)")
        a.query("alter table od move bucket 3 to n3")
        a.query("alter table od move bucket 1 to n2")
        checks.check("a split and a move: rows of the new bucket are found",
                     day(170) == [("170",)] and day(140) == [("140",)], (day(170), day(140)))
        a.query("alter table od split at (250)")
        a.query("alter table od move bucket 4 to n1")
        checks.check("by the extended protocol, too", day_extended(270) == [("270",)], day_extended(270))
        a.query("alter table od split at (50)")
        tag = b.query("insert into od values (55, 55)")[-1].tag
        total = b.query("select count(*), count(distinct day) from od")[-1].rows
        checks.check("a row goes to the bucket that is now its own",
                     tag == "INSERT 0 1" and total == [("31", "31")], (tag, total))

        a.query("drop table shape")
        a.query("create table shape (k int primary key, v text) shard by hash (k) buckets 7")
        for k in range(20):
            a.query(f"insert into shape values ({k}, 'new')")
        got = [b.query(f"select v from shape where k = {k}")[-1].rows for k in range(20)]
        checks.check("a table made anew in another shape", got == [[("new",)]] * 20, got)
        a.query("drop table plain")
        a.query("create table plain (k int primary key, v text) shard by hash (k) buckets 7")
        for k in range(20):
            a.query(f"insert into plain values ({k}, 'new')")
        got = [b.query(f"select v from plain where k = {k}")[-1].rows for k in range(20)]
        checks.check("one that had been on the first node", got == [[("new",)]] * 20, got)
        a.query("alter table shape rename to shape_old")
        a.query("alter table plain rename to shape")
        a.query("update shape set v = 'renamed' where k = 5")
        got = b.query("select v from shape where k = 5")[-1].rows
        checks.check("one that has another's name", got == [("renamed",)], got)
        b.query("set search_path = other, public")
        b.query("select v from shape where k = 7")
        a.query("create table other.shape (k int primary key, v text) shard by hash (k) buckets 3")
        a.query("insert into other.shape values (7, 'hides')")
        got = b.query("select v from shape where k = 7")[-1].rows
        checks.check("one that hides another", got == [("hides",)], got)
        b.query("begin")
        a.query("alter table od split at (270)")
        state = sqlstate(lambda: b.query("select x from od where day = 280"))
        b.query("rollback")
        checks.check("in a block the client is told", state == "TR003", state)
        checks.check("and the next time it works", day(280) == [("280",)])


def nodes(checks, cluster):
    """A node comes, takes part in everything, and goes; a router that has not heard of it is refused."""
    build = cluster.build
    with connect(cluster.router) as a:
        a.query("create table lands (code text primary key, name text) replicated")
        a.query("create table towns (code text references lands, town text, primary key (code, town)) "
                "replicated")
        a.query("insert into lands values ('de', 'Germany'), ('at', null)")
        a.query("insert into towns values ('de', 'Ulm'), ('at', E'Graz\\n\\\\ ')")
        a.query("create table nn (id bigserial, k int primary key, v int) shard by hash (k) buckets 12")
        for k in range(48):
            a.query(f"insert into nn (k, v) values ({k}, 0)")
    with connect(cluster.router) as a, cluster.new_router(OLD) as late, connect(late) as b:
        b.query("select * from nn where k = 1")
        fourth = cluster.new_shard("n4").start()
        other = cluster.new_shard("else").start()
        try:
            address = f"127.0.0.1:{fourth.port}"
            for sql, wanted in ((f"alter cluster add node n2 '{address}'", "42710"),
                                (f"alter cluster add node n4 '127.0.0.1:{other.port}'", "55000"),
                                ("alter cluster add node n4 'nowhere'", "22023"),
                                ("alter cluster add node n4 '127.0.0.1:1'", "08001"),
                                ("alter cluster drop node n9", "42704"),
                                ("alter cluster drop node n1", "0A000"),
                                ("alter cluster drop node n2", "55006")):
                state = sqlstate(lambda s=sql: a.query(s))
                checks.check(sql, state == wanted, state)
            a.query("create role worker")
            a.query("set role worker")
            state = sqlstate(lambda: a.query(f"alter cluster add node n4 '{address}'"))
            a.query("reset role")
            checks.check("not for everybody", state == "42501", state)
            a.query(f"alter cluster add node n4 '{address}'")
            got = rows(fourth, "select * from towns, lands where towns.code = lands.code order by 1")
            checks.check("it has the rows of replicated tables",
                         got == rows(cluster.shards[0], "select * from towns, lands where towns.code "
                                     "= lands.code order by 1") and len(got) == 2, got)
            got = rows(fourth, "select count(*) from tusk_buckets where state = 'owned'")
            checks.check("and no buckets", got == [("0",)], got)
            a.query("alter table nn move buckets (0, 5, 11) to n4")
            got = a.query("select name, port from tusk_nodes order by 1")[-1].rows
            checks.check("it is listed", len(got) == 4 and got[3] == ("n4", str(fourth.port)), got)
            got = b.query("select count(*), sum(v) from nn")[-1].rows if retried(
                lambda: b.query("select count(*), sum(v) from nn")) else None
            checks.check("an old router leaves no rows out", got == [("48", "0")], got)
            for k in range(48):
                b.query(f"update nn set v = v + 1 where k = {k}")
            for k in range(48, 96):
                b.query(f"insert into nn (k, v) values ({k}, 1)")
            got = a.query("select count(*), sum(v), count(distinct id) from nn")[-1].rows
            checks.check("rows and numbers of all four", got == [("96", "96", "96")], got)
            count = int(rows(fourth, "select count(*) from nn")[0][0])
            checks.check("some are on the new one", 10 < count < 40, count)
            a.query("create table five (id bigserial, k int primary key) shard by hash (k) buckets 16")
            got = rows(fourth, "select count(*) from tusk_buckets where bucketgroup = 'public.five' "
                       "and state = 'owned'")
            checks.check("it gets buckets of new tables", got == [("4",)], got)
            for k in range(30):
                a.query(f"insert into five (k) values ({k})")
            got = a.query("select count(distinct id) from five")[-1].rows
            checks.check("and numbers of new sequences", got == [("30",)], got)
            state = sqlstate(lambda: a.query("alter cluster drop node n4"))
            checks.check("who has buckets stays", state == "55006", state)
            a.query("alter table nn move buckets (0, 5, 11) to n1")
            for bucket in range(16):
                a.query(f"alter table five move bucket {bucket} to n3")
            a.query("alter cluster drop node n4")
            state = sqlstate(lambda: a.query("alter table nn move bucket 3 to n4"))
            checks.check("nothing moves there any more", state == "42704", state)
            got = [retried(lambda: b.query("select count(*) from nn")[-1].rows == [("96",)]),
                   b.query("select name from lands where code = 'de'")[-1].rows]
            checks.check("an old router leaves it alone", got == [True, [("Germany",)]], got)
            fourth.kill()
            got = a.query("select count(*), sum(v) from nn")[-1].rows
            checks.check("it is not asked any more", got == [("96", "96")], got)
            fourth.start()
            a.query("create table six (k int primary key) shard by hash (k) buckets 8")
            a.query(f"alter cluster add node n4 '127.0.0.1:{fourth.port}'")
            a.query("alter table six move bucket 2 to n4")
            got = rows(fourth, "select count(*) from tusk_buckets where state = 'owned'")
            checks.check("it comes back", got == [("1",)], got)
            with Router(build, f"n1=127.0.0.1:{cluster.shards[0].port}", cluster.arguments) as seed, \
                    connect(seed) as c:
                got = c.query("select count(*), sum(v) from nn")[-1].rows
                checks.check("a router that is told of one node finds the others",
                             got == [("96", "96")], got)
            a.query("alter table six move bucket 2 to n1")
            a.query("alter cluster drop node n4")
        finally:
            fourth.__exit__()
            other.__exit__()


def again(checks, cluster):
    """A node goes and comes back while another is away; then routers, of which one knows nothing of it."""
    shards = cluster.shards
    fourth = cluster.new_shard("n4").start()
    add = f"alter cluster add node n4 '127.0.0.1:{fourth.port}'"

    def same(servers):
        text = "select number, name, dropped from tusk_cluster.nodes order by 1"
        return (len({str(rows(s, VERSION)) for s in servers}) == 1
                and len({str(rows(s, text)) for s in servers}) == 1)

    def read(connection, text):
        found = []
        fine = retried(lambda: found.append(connection.query(text)[-1].rows))
        return found[0] if fine else None

    try:
        with connect(cluster.router) as a:
            a.query("create table ag (k int primary key, v int) shard by hash (k) buckets 8")
            for k in range(24):
                a.query(f"insert into ag values ({k}, 0)")
            a.query(add)
            with cluster.new_router(OLD) as late, connect(late) as b:
                b.query("select count(*) from ag")
                shards[1].kill()
                a.query("create table ag1 (k int primary key)")
                a.query("alter cluster drop node n4")
                a.query("create table ag2 (k int primary key)")
                a.query(add)
                a.query("create table ag3 (k int primary key)")
                cluster.router.kill()
                shards[1].start()
                cluster.router.start()   # it writes its list of nodes at n2, which is behind
                came = wait_for(lambda: same(shards + [fourth]))
                checks.check("a node that was away while another left and came back", came,
                             [rows(s, VERSION) for s in shards + [fourth]])
                got = read(b, "select count(*), sum(v) from ag")
                checks.check("an old router reads all", got == [("24", "0")], got)
        with connect(cluster.router) as a, cluster.new_router(OLD) as late, connect(late) as b:
            b.query("select count(*) from ag")
            a.query("alter cluster drop node n4")
            a.query(add)
            fourth.kill()
            a.query("create table ag4 (k int primary key) shard by hash (k) buckets 16")
            cluster.router.kill()
            fourth.start()
            came = wait_for(lambda: read(b, "select count(*) from ag") == [("24",)]
                            and same(shards + [fourth]))
            got = rows(fourth, "select count(*) from tusk_buckets where bucketgroup = 'public.ag4' "
                       "and state = 'owned'")
            checks.check("by an old router it gets its buckets by its new number",
                         came and got == [("4",)], (came, got))
            cluster.router.start()
        with connect(cluster.router) as a:
            fourth.kill()
            a.query("create table ag5 (k int primary key) shard by hash (k) buckets 16")
            fourth.start()
            state = sqlstate(lambda: a.query("alter cluster drop node n4"))
            checks.check("who has buckets that it has not heard of stays", state == "55006", state)
            a.query("alter cluster drain node n4")
            a.query("alter cluster drop node n4")
    finally:
        fourth.__exit__()


def retried(action):
    """A query over all shards that an old router sends is refused, and the router told by that."""
    for _ in range(20):
        try:
            action()
            return True
        except pgwire.Error as error:
            if not error.sqlstate.startswith("TR00"):
                raise
            time.sleep(0.1)
    return False


def killed(checks, cluster):
    """kill -9 of a router, then of a shard, amid definitions: all nodes come to have the same ones."""
    def tables(server):
        return rows(server, "select count(*), max(relname) from pg_class where relname like 'killed%' "
                            "and relkind = 'r'")

    def create(router, name, made):
        try:
            with connect(router) as c:
                for j in range(100):
                    c.query(f"create table killed_{name}_{j:02} (k int primary key) "
                            f"shard by hash (k) buckets 4")
                    made.append(j)
        except (pgwire.Error, pgwire.ConnectionLost, OSError):
            pass

    with cluster.new_router() as second:
        for name, victim in (("a", second), ("b", second), ("c", cluster.shards[1])):
            made = []
            router = second if victim is second else cluster.router
            thread = threading.Thread(target=create, args=(router, name, made))
            thread.start()
            wait_for(lambda made=made: len(made) > 2)
            victim.kill()
            thread.join(0.3 if victim is not second else 30)
            victim.start()
            thread.join()
            with connect(cluster.router) as c:
                c.query(f"create table killed_{name}_z (k int)")   # whoever comes next goes on
            same = wait_for(lambda: len({tuple(tables(s)[0]) for s in cluster.shards + [cluster.router]}) == 1
                            and len({rows(s, VERSION)[0] for s in cluster.shards}) == 1)
            found = [tables(s) for s in cluster.shards]
            checks.check(f"definitions amid kill -9 ({name}) are on all nodes or none", same, found)
            wanted = [rows(cluster.router, f"select count(*) from killed_{name}_{j:02}") for j in made]
            checks.check("those that were answered are there", wanted == [[("0",)]] * len(made), len(made))


def refusals(checks, cluster):
    with connect(cluster.router) as a:
        listed = {row[0] for row in a.query("select number from tusk_router_refusals")[-1].rows}
        for sql in ("update t set v = 'x'", "update t set id = 1 where id = 2", "create table u as select * from t",
                    "select * into u from t",
                    "insert into t select generate_series(1, 5)", "select currval('ids_id_seq')",
                    "create temp table x (a int)", "do $$ begin end $$",
                    "insert into t values (1), (2), (3), (4), (5), (6)"):
            try:
                a.query(sql)
                checks.check(f"refused: {sql}", False)
            except pgwire.Error as error:
                number = (error.detail or "Reason ?").split()[1]
                checks.check(f"refused: {sql}", error.sqlstate == "0A000" and number in listed,
                             f"{error.sqlstate} {error.message} {error.detail}")
        a.query("begin")
        a.query("select * from t where id = 1")
        state = sqlstate(lambda: a.query("select count(*) from t"))
        checks.check("several shards are not read in a block that is on one", state == "0A000", state)
        a.query("rollback")


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "release"
    checks = Checks()
    with tempfile.TemporaryDirectory() as store, Cluster(
            build, arguments=["-c", "router_breaker_pause=300", "-c", f"router_control=file:{store}"]
    ) as cluster:
        definitions(checks, cluster)
        two_routers(checks, cluster)
        numbers(checks, cluster)
        one_moment(checks, cluster)
        moves(checks, cluster)
        old_router(checks, cluster)
        nodes(checks, cluster)
        again(checks, cluster)
        refusals(checks, cluster)
        killed(checks, cluster)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
