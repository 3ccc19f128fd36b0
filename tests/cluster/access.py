#!/usr/bin/env python3
"""Shards that want passwords and encryption of the router.

    tests/cluster/access.py [release|debug]
"""
import concurrent.futures
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pgwire
from certificates import Authority
from cluster import Cluster, connect, wait_for
from server import Checks

BUILD = sys.argv[1] if len(sys.argv) > 1 else "release"
PASSWORD = "sh:ar\\ed"
checks = Checks()
check = checks.check


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def error_of(action):
    try:
        action()
    except pgwire.Error as error:
        return error.sqlstate, f"{error} {error.fields.get('D', '')}"
    return None, ""


def rules(cluster, lines):
    for shard in cluster.shards:
        write(os.path.join(shard.directory, "data", "tusk_hba.conf"), lines)
        with pgwire.connect(port=shard.port, password=PASSWORD) as db:
            db.query("select pg_reload_conf()")


def start_fails(cluster, what, words, *settings):
    router = cluster.new_router([word for setting in settings for word in ("-c", setting)])
    try:
        router.start()             # it listens before it knows its shards
        router.process.wait(60)
        text = router.tail()
    except RuntimeError as error:
        text = str(error)
    finally:
        router.__exit__()
    check(what, words in text and "FATAL" in text, text[-600:])


def start_waits(cluster, what, words, *settings):
    """A node that cannot be had is waited for: it may be mended."""
    router = cluster.new_router([word for setting in settings for word in ("-c", setting)])
    starting = concurrent.futures.ThreadPoolExecutor(1).submit(router.start)
    check(what, wait_for(lambda: os.path.exists(router.log) and words in router.tail() and
                         "waiting for node" in router.tail()), router.tail())
    router.stop()
    check(f"{what}: it has ended", starting.exception(60) is not None)
    router.__exit__()


def serves(cluster, what, *settings):
    router = cluster.new_router([word for setting in settings for word in ("-c", setting)])
    with router, connect(router) as db:
        check(what, db.rows("select sum(v) from t") == [("6",)])
        encrypted = db.rows("select count(*) from t where k = 1")
        check(f"{what}: one node", encrypted == [("1",)])


def wrong_user(cluster, folder, file):
    """bob's password is wrong in the file: his matter alone, told, and not tried on and on."""
    router = cluster.new_router(["-c", f"router_password_file={file}", "-c",
                                 "router_breaker_pause=3000", "--workers", "1"])
    with router, connect(router) as db:
        with pgwire.connect(port=router.port, user="bob") as bob:
            for _ in range(20):
                state, words = error_of(lambda: bob.rows("select v from t where k = 1"))
            check("bob is not let in", state == "08004" and "as user \"bob\"" in words and
                  "password authentication failed" in words, words)
            tried = sum(int(n) for n, in db.rows("select logins_refused from tusk_router_breakers"))
            check("a wrong password is not tried on and on", 1 <= tried <= 3, tried)
            told = db.rows("select state, last_failure from tusk_router_breakers "
                           "where last_failure is not null")
            check("the view tells it", len(told) >= 1 and told[0][0] == "closed" and
                  "bob" in told[0][1], told)
            check("others go on", db.rows("select sum(v) from t") == [("6",)])
            write(file, f"*:*:*:*:{escape(PASSWORD)}\n")
            end = time.monotonic() + 30
            while time.monotonic() < end:
                state, words = error_of(lambda: bob.rows("select v from t where k = 1"))
                if state is None:
                    break
                time.sleep(0.2)
            check("the file counts when it is right", state is None, words)


def escape(password):
    return password.replace("\\", "\\\\").replace(":", "\\:")


def main(folder):
    authority = Authority(os.path.join(folder, "ca"))
    stranger = Authority(os.path.join(folder, "other"))
    certificate, key = authority.issue("shard", "shard", "IP:127.0.0.1")
    with Cluster(BUILD, shard_arguments=["-c", "ssl=on", "-c", f"ssl_cert_file={certificate}", "-c",
                                         f"ssl_key_file={key}"]) as cluster:
        with connect(cluster.router) as db:
            db.query("create table t (k int primary key, v int) SHARD BY HASH (k) BUCKETS 12")
            db.query("create user bob")
            db.query("grant select on t to bob")
            for row in ("1, 1", "2, 2", "3, 3"):
                db.query(f"insert into t values ({row})")
            literal = PASSWORD.replace("'", "''")
            db.query(f"alter user postgres password '{literal}'")
            db.query(f"alter user bob password '{literal}'")
        cluster.router.stop()
        rules(cluster, "host all all all scram-sha-256\n")

        line = escape(PASSWORD)
        right = write(os.path.join(folder, "right"), f"# all\n*:*:*:postgres:{line}\n")
        wrong = write(os.path.join(folder, "wrong"), "*:*:*:*:nonsense\n")
        other = write(os.path.join(folder, "other_user"), "*:*:*:alice:x\n127.0.0.2:*:*:*:x\n")
        shown = write(os.path.join(folder, "shown"), f"*:*:*:*:{line}\n", 0o644)
        ports = "".join(f"127.0.0.1:{shard.port}:postgres:postgres:{line}\n"
                        for shard in cluster.shards)
        exact = write(os.path.join(folder, "exact"), ports)
        serves(cluster, "the right password", f"router_password_file={right}")
        serves(cluster, "without encryption", f"router_password_file={right}",
               "router_sslmode=disable")
        serves(cluster, "a line for each shard", f"router_password_file={exact}")
        start_fails(cluster, "a wrong password", "password authentication failed",
                    f"router_password_file={wrong}")
        start_fails(cluster, "no password", "router_password_file is not set")
        start_fails(cluster, "no line", "has none for 127.0.0.1", f"router_password_file={other}")
        start_fails(cluster, "others may read it", "has group or world access",
                    f"router_password_file={shown}")
        start_fails(cluster, "no file", "No such file", "router_password_file=/nowhere")
        bob = write(os.path.join(folder, "bob"), f"*:*:*:bob:wrong\n*:*:*:*:{line}\n")
        wrong_user(cluster, folder, bob)

        with_file = f"router_password_file={right}"
        rules(cluster, "hostssl all all all scram-sha-256\n")
        serves(cluster, "hostssl, prefer", with_file)
        serves(cluster, "hostssl, allow", with_file, "router_sslmode=allow")
        serves(cluster, "hostssl, verify-full", with_file, "router_sslmode=verify-full",
               f"router_sslrootcert={authority.certificate}")
        start_fails(cluster, "hostssl, disable", "no tusk_hba.conf entry", with_file,
                    "router_sslmode=disable")
        start_waits(cluster, "another's certificate", "certificate verify failed", with_file,
                    "router_sslmode=verify-ca", f"router_sslrootcert={stranger.certificate}")
        start_fails(cluster, "no authority", "root certificate file", with_file,
                    "router_sslmode=verify-full")
    return checks.done()


if __name__ == "__main__":
    directory = tempfile.mkdtemp(prefix="tusk_access_")
    try:
        sys.exit(main(directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
