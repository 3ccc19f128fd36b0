/*
 * Any sound records in the log, with any content: recovery refuses them in words, or opens a
 * database that works, opens again as it was, and again after a checkpoint. short run: 40
 *
 * And redo__next on the bytes themselves: what it takes in one piece it takes in two.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "txn/txn_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    TREES = 12,
    RECORDS_MAX = 30,
};

struct input {
    const uint8_t *data;
    size_t size;
};

static bool done;
static char directory[] = "/data";

static uint8_t
take(struct input *input)
{
    if (input->size == 0) {
        return 0;
    }
    input->size--;
    return *input->data++;
}

static void
must(enum err err, const struct diag *diag)
{
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s\n", diag->message);
        abort();
    }
}

/* ---- making a log ------------------------------------------------------------------------------
 */

static void
add_varint(struct buffer *to, uint64_t value)
{
    while (value >= 0x80) {
        buffer_add_u8(to, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    buffer_add_u8(to, (uint8_t)value);
}

/* Mostly small, so that things meet; sometimes enormous. */
static uint64_t
number(struct input *input)
{
    uint8_t byte = take(input);
    return byte < 240 ? byte % 16 : hash_u64(byte) >> (byte % 4 * 16);
}

static void
add_change(struct input *input, struct buffer *redo)
{
    uint8_t what = take(input);
    if (what >= 250) { /* not a change */
        for (unsigned i = what % 5; i > 0; i--) {
            buffer_add_u8(redo, take(input));
        }
        return;
    }
    bool trees = what % 3 == 0;
    uint8_t op = (uint8_t)(what / 3 % 3 + 1);
    uint8_t key[8];
    uint8_t value[256];
    size_t key_size = trees ? 8 : take(input) % 4;
    store_be64(key, trees ? number(input) : 0x6162636465666768ULL);
    buffer_add_u8(redo, op);
    add_varint(redo, trees ? SYSTEM_TREE : number(input));
    add_varint(redo, key_size);
    buffer_add(redo, key, key_size);
    if (op == REDO_DELETE) {
        return;
    }
    if (op == REDO_DELTA) {
        add_varint(redo, number(input));
        add_varint(redo, number(input));
    }
    size_t size = what > 200 ? 5000 : take(input);
    add_varint(redo, size);
    memset(value, what, sizeof value);
    for (size_t at = 0; at < size; at += sizeof value) {
        buffer_add(redo, value, size - at < sizeof value ? size - at : sizeof value);
    }
}

static void
add_record(struct task *task, struct wal *wal, struct input *input)
{
    uint8_t what = take(input);
    struct buffer payload = {0};
    if (what % 8 < 4) {
        struct commit_head head = {.id = number(input), .hlc = number(input)};
        head.redo_before = what % 8 == 0 ? number(input) : 0;
        head.idempotency_size = what % 8 == 1 ? take(input) % 20 : 0;
        head.flags = take(input) % 2;
        buffer_add(&payload, &head, sizeof head);
    } else if (what % 8 < 7) {
        struct part_head head = {.id = number(input), .redo_before = number(input)};
        buffer_add(&payload, &head, sizeof head);
    }
    for (unsigned i = take(input) % 6; i > 0 && input->size > 0; i--) {
        add_change(input, &payload);
    }
    static const uint16_t types[] = {RECORD_COMMIT, RECORD_COMMIT, RECORD_COMMIT,
        RECORD_COMMIT_PACKED, RECORD_PART, RECORD_PART, RECORD_PART_PACKED};
    uint16_t type = what % 8 < 7 ? types[what % 8] : take(input);
    struct slice piece = slice_of(payload.data, payload.size);
    lsn_t start;
    lsn_t end;
    struct diag diag;
    must(wal_make_room(task, wal, piece.size, &diag), &diag);
    ASSERT(wal_append(wal, type, what == 255 ? 2 : RECORD_VERSION, &piece, 1, &start, &end));
    wal_wait_durable(task, wal, end);
    buffer_destroy(&payload);
}

static void
make_log(struct task *task, struct input *input)
{
    struct diag diag;
    struct wal *wal = NULL;
    struct wal_options options = {.directory = "/data/wal", .segment_size = 1 << 20};
    struct wal_record record;
    bool end = false;
    must(world_mkdir(task, directory, &diag), &diag);
    must(wal_open(task, &options, &wal, &diag), &diag);
    must(wal_next(task, wal, &record, &end, &diag), &diag);
    must(wal_start(task, wal, &diag), &diag);
    for (int i = 0; i < RECORDS_MAX && input->size > 0; i++) {
        add_record(task, wal, input);
    }
    wal_close(task, wal);
}

/* ---- using the database ------------------------------------------------------------------------
 */

static struct txn_db *
open_db(struct task *task)
{
    struct diag diag;
    struct txn_db *db = NULL;
    struct txn_db_options options = {
        .directory = directory, .cache_size = 4 << 20, .wal_segment_size = 1 << 20};
    diag_clear(&diag);
    if (txn_db_open(task, &options, &db, &diag) != ERR_OK) {
        ASSERT(diag.message[0] != '\0');
        return NULL;
    }
    return db;
}

/* Everything that can be seen, as a number. */
static uint64_t
content(struct task *task, struct txn_db *db)
{
    struct diag diag;
    struct txn *txn = txn_new(db, 1);
    struct arena arena;
    uint64_t hash = 1;
    arena_create(&arena, "content");
    must(txn_begin(task, txn, TXN_READ_COMMITTED, true, &diag), &diag);
    struct txn_snapshot snapshot = txn_statement_begin(txn);
    for (uint64_t tree = 1; tree < TREES + 2; tree++) {
        struct txn_scan *scan = NULL;
        struct txn_range range = {0};
        struct txn_row row;
        bool found = true;
        tree_id_t id = {tree == TREES + 1 ? (uint64_t)SYSTEM_TREE : tree};
        if (txn_scan_open(task, txn, snapshot, id, &range, false, &arena, &scan, &diag) != ERR_OK) {
            continue;
        }
        while (found) {
            must(txn_scan_next(task, scan, &row, &found, &diag), &diag);
            if (found) {
                hash = hash64(row.key.data, row.key.size, hash + tree);
                hash = hash64(row.value.data, row.value.size, hash);
            }
        }
        txn_scan_close(task, scan);
    }
    must(txn_commit(task, txn, &diag), &diag);
    arena_destroy(&arena);
    txn_delete(task, txn);
    return hash;
}

/* A new tree, a row in each of the others. */
static void
change(struct task *task, struct txn_db *db)
{
    struct diag diag;
    struct txn *txn = txn_new(db, 1);
    must(txn_begin(task, txn, TXN_READ_COMMITTED, false, &diag), &diag);
    (void)txn_statement_begin(txn);
    tree_id_t tree;
    must(txn_tree_create(task, txn, &tree, &diag), &diag);
    must(txn_insert(task, txn, tree, slice_of("k", 1), slice_of("v", 1), NULL, NULL, &diag), &diag);
    for (uint64_t i = 1; i < TREES; i++) {
        enum err err = ERR_OK;
        if (btree_tree_exists(db->store, (tree_id_t){i})) {
            err = txn_insert(
                task, txn, (tree_id_t){i}, slice_of("new", 3), slice_of("v", 1), NULL, NULL, &diag);
        }
        ASSERT(err == ERR_OK || err == ERR_UNIQUE);
    }
    must(txn_commit(task, txn, &diag), &diag);
    txn_delete(task, txn);
}

static void
run(struct task *task, void *arg)
{
    struct diag diag;
    struct input *input = arg;
    int rounds = take(input) % 4; /* opening is dear */
    make_log(task, input);
    struct txn_db *db = open_db(task);
    if (db != NULL) {
        change(task, db);
        for (int round = 0; round < rounds; round++) {
            uint64_t before = content(task, db);
            if (round == 1) {
                must(txn_db_checkpoint(task, db, &diag), &diag);
            }
            txn_db_close(task, db);
            db = open_db(task);
            ASSERT(db != NULL && content(task, db) == before);
        }
        txn_db_close(task, db);
    }
    done = true;
    world_stop(task_world(task));
}

/* ---- redo alone --------------------------------------------------------------------------------
 */

static void
split(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_of(data, size);
    struct redo_change change;
    bool bad = false;
    while (redo__next(&bytes, &change, &bad)) {
        ASSERT(change.key.size <= BTREE_KEY_SIZE_MAX && change.value.size <= BTREE_VALUE_SIZE_MAX);
    }
    size_t taken = size - bytes.size;
    for (size_t cut = 0; cut < taken;
         cut++) { /* a piece never gives other changes than the whole */
        struct slice piece = slice_of(data, cut);
        while (redo__next(&piece, &change, &bad)) {
        }
        ASSERT(!bad);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] % 4 == 0) {
        split(data + 1, size > 300 ? 299 : size - 1);
    }
    struct input input = {data, size};
    struct diag diag;
    struct world_sim_options options = {0};
    struct world *world = world_sim_new(1, &options);
    done = false;
    must(task_spawn(world, 0, "fuzz", run, &input, &diag), &diag);
    world_run(world);
    world_delete(world);
    ASSERT(done);
    return 0;
}
