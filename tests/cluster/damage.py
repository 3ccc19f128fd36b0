#!/usr/bin/env python3
"""Nodes and routers that send each other what they should not: bytes changed on their way, messages left
out, doubled, cut, put in. Statements may fail, connections may end; nobody else may, and when the way is
sound again so are the answers.

    tests/cluster/damage.py [BUILD] [--seconds 8] [--seed N]
"""
import argparse
import asyncio
import random
import struct
import sys
import tempfile
import threading
import time

from cluster import Cluster, connect
import pgwire
from server import Checks

FROM_SHARD = b"123CDDDDDEEGHIKNRSTTTVWZZZAcdnst"
SSL_REQUEST = 80877103
TO_SHARD = b"BBCDEEFHPPQSXcdfrrrr"


class Damage:
    """What is done to messages: nothing, or to one in `every`, of the one direction or the other."""
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.direction = None
        self.every = 20
        self.done = 0

    def of(self, direction, message):
        if direction != self.direction or self.random.randrange(self.every):
            return message
        self.done += 1
        dice, types = self.random, FROM_SHARD if direction == "router" else TO_SHARD
        changed = bytearray(message)
        what = dice.choice((0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7))
        if what == 0:       # some bytes, the length perhaps among them
            for _ in range(dice.randrange(1, 4)):
                changed[dice.randrange(len(changed))] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
        elif what == 1:     # another length of the body, the message's own length to match
            body = bytes(changed[5:])
            body = body[:dice.randrange(len(body) + 1)] + dice.randbytes(dice.randrange(9))
            changed = changed[:1] + struct.pack("!I", len(body) + 4) + body
        elif what == 2:     # a number in the body: counts, sizes
            if len(changed) >= 9:
                at = dice.randrange(5, len(changed) - 3)
                changed[at:at + 4] = struct.pack("!I", dice.choice((0xffffffff, 0x7fffffff, 0x80000000, 65535,
                                                                  0, 1, dice.randrange(1 << 32))))
        elif what == 3:
            changed[0] = dice.choice(types)
        elif what == 4:     # one more
            body = dice.randbytes(dice.randrange(40)) if dice.random() < .5 else bytes(changed[5:])
            changed += bytes([dice.choice(types)]) + struct.pack("!I", len(body) + 4) + body
        elif what == 5:
            changed += bytes(changed)
        elif what == 6:
            return b""
        else:
            changed[1:5] = struct.pack("!I", dice.choice((0, 3, 4, 5, 0x3fffffff, 0x7fffffff, 0xffffffff)))
        return bytes(changed)


class Proxy:
    """In front of one shard; for the router it is the shard."""
    def __init__(self, damage):
        self.damage, self.target, self.port = damage, None, None
        self.open = set()
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self.run, args=(ready,), daemon=True).start()
        ready.wait()

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    async def serve(self, reader, writer):
        try:
            there, away = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self.open |= {away, writer}
        both = [asyncio.ensure_future(self.pass_on(*way)) for way in
                ((reader, away, "shard"), (there, writer, "router"))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(both, timeout=1)
        self.open -= {away, writer}
        for end in (away, writer):
            end.close()

    def drop_all(self):
        """Who was told half of something waits for the rest."""
        def drop():
            for end in list(self.open):
                end.close()
        self.loop.call_soon_threadsafe(drop)

    async def pass_on(self, reader, writer, direction):
        try:
            first = True
            while True:
                if first and direction == "router":
                    message = await reader.readexactly(1)   # of SSLRequest, "N"
                    if message != b"N":
                        message += await reader.readexactly(4)
                        message += await reader.readexactly(struct.unpack("!I", message[1:])[0] - 4)
                        first = False
                elif first:     # packets without a type
                    message = await reader.readexactly(8)
                    size, code = struct.unpack("!II", message)
                    message += await reader.readexactly(size - 8)
                    first = code == SSL_REQUEST
                else:
                    message = await reader.readexactly(5)
                    message += await reader.readexactly(struct.unpack("!I", message[1:])[0] - 4)
                    message = self.damage.of(direction, message)
                writer.write(message)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass


STATEMENTS = (
    "select * from t where id = %d", "select count(*), sum(n), avg(n) from t", "select * from t order by n, id",
    "select v, count(*) from t group by v order by 1 limit 5", "select max(v) from t where n > %d",
    "update t set n = n + 1 where id = %d", "insert into t values (1000 + %d, 'x', 1)",
    "delete from t where id = 1000 + %d", "select * from t a join t b using (id) where a.n > %d",
    "select distinct n from t order by n desc", "copy t to stdout", "select * from tusk_nodes",
    "select bucketgroup, bucket from tusk_buckets", "explain select * from t where id = %d",
    "begin; update t set n = n where id = %d; commit", "select * from r order by a",
    "create table x%d (id int primary key) shard by hash (id) buckets 4", "drop table x%d",
    "select * from t where id in (1, 7, %d)", "select id, row_number() over (order by n) from t limit %d")


def work(router, damage, until, tally, number):
    """One client's statements; whatever becomes of them is fine, but for an end of the router."""
    dice = random.Random(number)
    connection = None
    while time.monotonic() < until:
        try:
            if connection is None:
                connection = connect(router, timeout=0.5)
            sql = dice.choice(STATEMENTS)
            sql = sql % dice.randrange(40) if "%d" in sql else sql
            if dice.random() < 0.3 and ";" not in sql:
                connection.execute(sql)
            else:
                connection.query(sql)
            tally[0] += 1
        except pgwire.Error:
            tally[1] += 1
        except (pgwire.ConnectionLost, OSError, ValueError, IndexError, struct.error):
            tally[2] += 1   # the last ones: of a row as one shard sent it
            connection = None
            time.sleep(0.05)


def sound_again(checks, cluster, what):
    alive = [server.alive() for server in [cluster.router] + cluster.shards]
    checks.check(f"{what}: nobody ended", all(alive), alive)
    end, got = time.monotonic() + 60, None
    while time.monotonic() < end and got != [("40", "40")]:
        try:
            with connect(cluster.router, timeout=10) as connection:
                got = connection.query("select count(*), count(distinct id) from t where id < 1000")[-1].rows
        except (pgwire.Error, pgwire.ConnectionLost, OSError) as error:
            got = str(error)
            time.sleep(0.2)
    checks.check(f"{what}: answers are right again", got == [("40", "40")], got)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", nargs="?", default="release")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    checks, damage = Checks(), Damage(options.seed)
    proxies = [Proxy(damage) for _ in range(2)]
    with tempfile.TemporaryDirectory() as store:
        cluster = Cluster(options.build, 2, arguments=["-c", f"router_control=file:{store}", "-c",
                                                       "router_breaker_pause=100"])
        cluster.nodes = lambda: ",".join(f"n{i + 1}=127.0.0.1:{p.port}" for i, p in enumerate(proxies))
        for proxy, shard in zip(proxies, cluster.shards):
            shard.start()
            proxy.target = shard.port
        cluster.router = cluster.new_router().start()
        try:
            with connect(cluster.router) as connection:
                connection.query("create table t (id int primary key, v text, n int) shard by hash (id) buckets 8; ")
                connection.query("create table r (a int primary key, b text) replicated")
                for i in range(40):
                    connection.query(f"insert into t values ({i}, repeat('v', {i} * 10), {i % 5})")
            for direction in ("router", "shard"):
                damage.direction, damage.done, tally = direction, 0, [0, 0, 0]
                until = time.monotonic() + options.seconds / 2
                threads = [threading.Thread(target=work, args=(cluster.router, damage, until, tally, i))
                           for i in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                damage.direction = None
                for proxy in proxies:
                    proxy.drop_all()
                print(f"on the way to the {direction}: {damage.done} messages damaged; {tally[0]} statements "
                      f"done, {tally[1]} failed, {tally[2]} connections lost")
                sound_again(checks, cluster, f"damage on the way to the {direction}")
        finally:
            for server in [cluster.router] + cluster.shards:
                if not server.alive():
                    print(server.tail(60))
            cluster.__exit__(None, None, None)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
