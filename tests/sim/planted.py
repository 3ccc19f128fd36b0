#!/usr/bin/env python3
"""Does the simulator find bugs? Plants one at a time and runs seeds until it is found.

    tests/sim/planted.py [--build release] [NAME ...]

A plant is a change of a few words in one source file. The changed file is compiled as the build
compiles it and linked before the rooms' libraries, so that the program is tusk_sim with this one
bug. A plant whose words are no longer in the source fails: fit it to the new source.
"""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

CLUSTER = "tusk_sim_cluster"   # the program that finds it, if not tusk_sim

# name, file, words, words instead, seeds within which it must be found, of which kind of disk
PLANTS = [
    # A commit is acknowledged before its log is on the disk.
    ("wal", "wal/wal.c",
     "while (atomic_load_explicit(&wal->durable, memory_order_acquire) < lsn.v) {",
     "while (lsn.v == 0) {", 40),
    # A checkpoint counts, and its log goes, before its superblock is durable.
    ("btree", "btree/superblock.c",
     "        sizeof *block, diag));\n    world_file_sync(task, store->file);",
     "        sizeof *block, diag));", 400),
    # A page's older image, left by a write that the disk lost, is taken for the one that is named.
    ("images", "btree/store.c",
     "if (*raw != NULL && image__check(bytes) != entry->check) {",
     "if (*raw != NULL && entry->check == 1) {", 1000, "--disk", "lost"),
    # A row is lost when a leaf is filled up from its neighbour.
    ("fences", "btree/merge.c",
     "page__append_range(left, old_right, 0, count);",
     "page__append_range(left, old_right, 0, count - 1);", 1000),
    # The log is not told how an index was built.
    ("fill", "txn/fill.c",
     "    redo__build(txn, tree, definition);\n", "    (void)definition;\n    (void)tree;\n", 4000),
    # An answer does not wait until what it shows is durable.
    ("txn", "txn/commit.c",
     "if (txn->observed != 0 && txn->observed > wal_durable(txn->db->wal).v) {",
     "if (txn->observed == 1) {", 600),
    # Dangerous structures are overlooked.
    ("ssi", "txn/ssi.c",
     "    const struct sxact *reader = edge->reader;\n    const struct sxact *writer = edge->writer;\n"
     "    /* The writer as T2",
     "    if (edge != NULL) {\n        return false;\n    }\n"
     "    const struct sxact *reader = edge->reader;\n    const struct sxact *writer = edge->writer;\n"
     "    /* The writer as T2", 400),
    # After ROLLBACK TO the session goes on with the schema that was undone.
    ("sql", "sql/session/transaction.c",
     "    if (txn_changes_schema(session->txn)) {\n        catalog_invalidate(",
     "    if (session->txn == NULL) {\n        catalog_invalidate(", 1500),
    # A message is believed complete one byte early.
    ("server", "server/connection.c",
     "if (size > 0 && pending.size >= size) {\n            *type",
     "if (size > 0 && pending.size + 1 >= size) {\n            *type", 400),
    # A log segment's new name is not made durable.
    ("names", "wal/wal.c",
     "            world_sync_directory(task, wal->directory);\n            wal->next_segment++;",
     "            wal->next_segment++;", 400),
    # The key of a saga is not claimed.
    ("key", "saga/start.c",
     "    if (starting->instance.key[0] == '\\0') {\n        return ERR_OK;\n    }\n    TRY(saga__claim_key(",
     "    if (starting->instance.key[0] != '\\1') {\n        return ERR_OK;\n    }\n    TRY(saga__claim_key(",
     200),
    # A step's effect and its record are two commits.
    ("twice", "saga/step.c",
     "    TRY(saga__record_claim(task, txn, delivery->place, delivery->number, delivery->step,\n"
     "        delivery->kind, &taken, diag));\n    if (taken) { /* S1 */",
     "    struct saga_record own = {.outcome = SAGA_DONE, .result = \"\"};\n"
     "    (void)saga__record_get(task, txn, delivery->place, delivery->number, delivery->step,\n"
     "        delivery->kind, arena, &own, &taken, diag);\n"
     "    if (!taken && delivery->kind == SAGA_DO) {\n"
     "        TRY(do_step(task, session, delivery, arena, &own, diag));\n"
     "        TRY(sql_session_query(task, session, \"COMMIT\", 6, diag));\n"
     "        TRY(sql_session_query(task, session, \"BEGIN\", 5, diag));\n"
     "        txn = sql_session_txn(session);\n"
     "        own.time = world_wall_us(task_world(task));\n"
     "        *record = own;\n"
     "        return saga__record_put(task, txn, delivery->place, delivery->number,\n"
     "            delivery->step, delivery->kind, &own, diag);\n"
     "    }\n"
     "    taken = false;\n"
     "    TRY(saga__record_claim(task, txn, delivery->place, delivery->number, delivery->step,\n"
     "        delivery->kind, &taken, diag));\n    if (taken) { /* S1 */", 600),
    # Sagas are forgotten as soon as they have ended.
    ("early", "saga/expire.c",
     "world_wall_us(room->world) - sql_engine_setting(room->engine, \"tusk.saga_history\") * 1000;",
     "world_wall_us(room->world);", 400),
    # A saga's TIMEOUT is lost.
    ("timeout", "saga/start.c",
     "instance->deadline = instance->definition.timeout_ms == 0",
     "instance->deadline = instance->definition.timeout_ms != 1", 300),
    # A saga's time is over behind the pivot, too.
    ("pivot", "saga/coordinator.c",
     "instance.deadline <= now &&\n        saga__is_revocable(&instance)) {",
     "instance.deadline <= now) {", 1500),
    # SKIP STEP skips another step than the one it names.
    ("skip", "saga/start.c",
     "    if (strcmp(step->name, name) != 0) {", "    if (name == NULL) {", 600),
    # The note of a saga goes though the saga has not come to its home.
    ("note", "router/sagas.c",
     "            if (note && outcome != ERR_OK) {", "            if (note && outcome == ERR_INTERNAL) {",
     200, CLUSTER),
    # A pivot that is done is undone all the same.
    ("forward", "saga/step.c",
     "    if ((step->flags & SAGA_HAS_UNDO) == 0) { /* S11 */",
     "    if ((step->flags & SAGA_HAS_UNDO) == 1024) { /* S11 */", 300, CLUSTER),
    # What is undone before it was done leaves no tombstone.
    ("tombstone", "saga/step.c",
     "        return saga__record_put(task, txn, delivery->place, delivery->number, delivery->step,\n"
     "            SAGA_DO, &tombstone, diag);",
     "        return saga__record_remove(task, txn, delivery->place, delivery->number,\n"
     "            delivery->step, arena, diag);", 400, CLUSTER),
    # A row is written in a bucket that has been stopped.
    ("fence", "sql/catalog/buckets.c",
     "    return state == BUCKET_OWNED ? ERR_OK : refuse(",
     "    return state <= BUCKET_GONE ? ERR_OK : refuse(",
     200, CLUSTER),
    # A bucket's owner is changed without comparing what was there.
    ("switch", "shard/move.c",
     "TRY(ctl_txn(move->task, move->ctl, compares, 2, writes, 2, &done",
     "TRY(ctl_txn(move->task, move->ctl, compares, 0, writes, 2, &done", 300, CLUSTER),
    # A bucket's rows go from the old node at a stamp that the new one has not reached yet.
    ("stamps", "sql/session/moves.c",
     "db, (uint64_t)args[3].i, eval->diag);", "db, 0, eval->diag);", 300, CLUSTER),
    # A change is not sent: the sums differ, and no move ends.
    ("sum", "sql/session/moves.c",
     "        put_record(piece, ours ? 'P' : 'D', at, change->key, ours ? &row.value : NULL);\n",
     "        (void)piece;\n", 100, CLUSTER),
    # A row that is still being changed is sent as it was, and not again.
    ("follow", "sql/catalog/buckets.c",
     "        if (txn_db_is_active(db, (txn_id_t){load_be64(head)})) {",
     "        if (db == NULL) {", 200, CLUSTER),
    # Settled reads (saga/README.md, SR1-SR6). A saga that has begun is on no list of open ones.
    ("list", "saga/start.c",
     "        return place == NULL ? ERR_OK\n", "        return made != NULL ? ERR_OK\n", 20, CLUSTER),
    # What was done before a node's start, or elsewhere, is not asked for.
    ("records", "saga/settled.c",
     "if (settled->sagas[i].begun <= blind) {", "if (settled->sagas[i].begun == 0) {", 100, CLUSTER),
    # Rows that have come in are taken for rows that were always here.
    ("arrived", "sql/session/moves.c",
     "    txn_sagas_go_blind(session->engine->db);", "    ;", 200, CLUSTER),
    # A list that somebody has asked for earlier is believed to be of now.
    ("rounds", "router/settled.c",
     "uint64_t need = rounds->begun + 1;", "uint64_t need = rounds->begun > 0 ? 1 : 1;", 20, CLUSTER),
]


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **options)


def plant(build, folder, target, name, path, old, new):
    """The program with this bug, or words that say why not."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    if text.count(old) != 1:
        return None, f"{path} has its words {text.count(old)} times instead of once"
    source = os.path.join(folder, os.path.basename(path))
    with open(source, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entry = next(entry for entry in json.load(file)
                     if os.path.samefile(entry["file"], os.path.join(ROOT, path)))
    words = shlex.split(entry["command"])
    thing = os.path.join(folder, "planted.o")
    words[words.index("-o") + 1] = thing
    words[words.index("-c") + 1] = source
    compiled = run(words + ["-Wno-error", "-w"], cwd=entry["directory"])
    if compiled.returncode != 0:
        return None, compiled.stdout
    link = run(["ninja", "-C", build, "-t", "commands", target]).stdout.strip().split("\n")[-1]
    link = re.search(r"&& (.*?) (?:&&|$)", link).group(1)
    words = shlex.split(link)
    program = os.path.join(folder, "tusk_sim_" + name)
    at = words.index("-o")
    words[at + 1] = program
    linked = run(words[:at] + [thing] + words[at:], cwd=build)
    return (program, "") if linked.returncode == 0 else (None, linked.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="release")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    build = os.path.join(ROOT, "build", options.build)
    failed = 0
    plants = [row for row in PLANTS if not options.names or row[0] in options.names]
    for name, path, old, new, limit, *more in plants:
        target = CLUSTER if CLUSTER in more else "tusk_sim"
        more = [word for word in more if word != CLUSTER]
        with tempfile.TemporaryDirectory(prefix="tusk_planted_") as folder:
            program, words = plant(build, folder, target, name, path, old, new)
            if program is None:
                print(f"{name}: could not be planted: {words}")
                failed += 1
                continue
            output = run([program, "--once", "--seed", "1", "--count", str(limit), *more]).stdout
        found = re.search(r"seed (\d+) failed: (.*)", output)
        if found:
            print(f"{name} ({path}): found after {found.group(1)} seeds: {found.group(2)[:150]}")
        else:
            print(f"{name} ({path}): NOT found in {limit} seeds")
            print(output[-500:])
            failed += 1
    print(f"{len(plants) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
