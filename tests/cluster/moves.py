#!/usr/bin/env python3
"""ALTER TABLE .. MOVE BUCKETS through the router, while clients of it write; a range is split.

    tests/cluster/moves.py [--build release]
"""
import argparse
import threading
import time

from cluster import Cluster, connect
import pgwire

ROWS = 400


def rows_of(server, text):
    with connect(server) as conn:
        return conn.query(text)[-1].rows


class Writer(threading.Thread):
    def __init__(self, router, number, stop):
        super().__init__(daemon=True)
        self.router, self.number, self.stop = router, number, stop
        self.done, self.tries, self.failed = 0, 0, None

    def run(self):
        try:
            with connect(self.router) as conn:
                while not self.stop.is_set():
                    self.tries += 1
                    row = (self.tries * 7 + self.number) % ROWS + 1
                    try:
                        tag = conn.query(f"UPDATE acc SET v = v + 1 WHERE id = {row}")[-1].tag
                        assert tag == "UPDATE 1", tag
                        self.done += 1
                    except pgwire.Error as error:
                        if error.sqlstate not in ("TR003", "TR004"):
                            raise
                        time.sleep(0.01)
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    args = parser.parse_args()
    with Cluster(args.build) as cluster:
        router = cluster.router
        with connect(router) as conn:
            conn.query("CREATE TABLE acc (id int PRIMARY KEY, v int) SHARD BY HASH (id) BUCKETS 9")
            conn.query("CREATE TABLE part (id int, n int, PRIMARY KEY (id, n)) "
                       "SHARD BY HASH (id) BUCKETS 9 COLOCATE WITH acc")
            for row in range(1, ROWS + 1):
                conn.query(f"INSERT INTO acc VALUES ({row}, 0)")
                conn.query(f"INSERT INTO part VALUES ({row}, 1)")
        stop = threading.Event()
        writers = [Writer(router, i, stop) for i in range(3)]
        for writer in writers:
            writer.start()
        moved = 0
        for buckets, node in (((0, 1, 2), 3), ((4,), 1), ((8, 0), 2), ((1, 5), 1)):
            numbers = ", ".join(str(b) for b in buckets)
            with connect(router) as conn:
                conn.query(f"ALTER TABLE acc MOVE BUCKETS ({numbers}) TO n{node}")
            moved += len(buckets)
            for bucket in buckets:
                for i, shard in enumerate(cluster.shards):
                    state = rows_of(shard, "SELECT state FROM tusk_buckets WHERE bucketgroup = "
                                    f"'public.acc' AND bucket = {bucket}")
                    owned = state and state[0][0] == b"owned" or state and state[0][0] == "owned"
                    assert bool(owned) == (i + 1 == node), (bucket, i + 1, state)
        stop.set()
        for writer in writers:
            writer.join()
            assert writer.failed is None, writer.failed
        done = sum(w.done for w in writers)
        count, total = [int(x) for x in rows_of(router, "SELECT count(*), sum(v) FROM acc")[0]]
        assert (count, total) == (ROWS, done), (count, total, done)
        assert int(rows_of(router, "SELECT count(*) FROM part")[0][0]) == ROWS
        with connect(router) as conn:
            for text, state in (("ALTER TABLE acc MOVE BUCKET 99 TO n1", "42704"),
                                ("ALTER TABLE acc MOVE BUCKET 1 TO nowhere", "42704")):
                try:
                    conn.query(text)
                    assert False, text
                except pgwire.Error as error:
                    assert error.sqlstate == state, (text, error.sqlstate, str(error))
            conn.query("CREATE TABLE days (day int PRIMARY KEY, x int) SHARD BY RANGE (day) (100, 200)")
            for day in range(0, 300, 10):
                conn.query(f"INSERT INTO days VALUES ({day}, {day})")
            conn.query("ALTER TABLE days SPLIT AT (150)")
            conn.query("ALTER TABLE days MOVE BUCKET 3 TO n3")
        assert int(rows_of(router, "SELECT count(*) FROM days")[0][0]) == 30
        assert int(rows_of(router, "SELECT x FROM days WHERE day = 170")[0][0]) == 170
        print(f"{moved + 1} buckets moved through the router, one split; {done} updates beside it, "
              f"{sum(w.tries for w in writers) - done} refused to the client")


if __name__ == "__main__":
    main()
