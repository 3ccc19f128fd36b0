/* saga/expire.c - sagas that ended long ago go, with their keys and the records of their steps. */
#include "saga/saga_internal.h"

enum {
    EXPIRE_BATCH = 100
};

static enum err
remove_records(
    struct task *task, struct txn *txn, uint64_t number, struct arena *arena, struct diag *diag)
{
    uint8_t low[SAGA_ID_SIZE];
    uint8_t high[SAGA_ID_SIZE];
    saga__id(0, number, low);
    saga__id(0, number + 1, high);
    const struct txn_range range = {.low = slice_of(low, sizeof low),
        .high = slice_of(high, sizeof high),
        .has_low = true,
        .has_high = true,
        .high_exclusive = true};
    for (;;) {
        struct txn_scan *scan = NULL;
        struct txn_row row;
        bool found = false;
        TRY(txn_scan_open(task, txn, txn_statement_begin(txn), saga__tree(CATALOG_TREE_SAGA_STEPS),
            &range, false, arena, &scan, diag));
        enum err err = txn_scan_next(task, scan, &row, &found, diag);
        struct slice key = {0};
        if (err == ERR_OK && found) {
            key = slice_of(arena_copy(arena, row.key.data, row.key.size), row.key.size);
        }
        txn_scan_close(task, scan);
        TRY(err);
        if (!found) {
            return ERR_OK;
        }
        TRY(saga__remove(task, txn, NULL, CATALOG_TREE_SAGA_STEPS, key, arena, &found, diag));
    }
}

static enum err
remove_instance(struct task *task, struct txn *txn, const struct saga_instance *instance,
    struct arena *arena, struct diag *diag)
{
    bool found = false;
    TRY(remove_records(task, txn, instance->number, arena, diag));
    if (instance->key[0] != '\0') {
        struct buffer key = {0};
        saga__key(instance, &key);
        enum err err = saga__remove(task, txn, NULL, CATALOG_TREE_SAGA_KEYS,
            slice_of(key.data, key.size), arena, &found, diag);
        buffer_destroy(&key);
        TRY(err);
    }
    uint8_t number[8];
    store_be64(number, instance->number);
    return saga__remove(task, txn, NULL, CATALOG_TREE_SAGA_INSTANCES,
        slice_of(number, sizeof number), arena, &found, diag);
}

/* Numbers grow with the time of the start, so the first that is young ends the search. */
static enum err
find_old(struct task *task, struct txn *txn, int64_t until, struct arena *arena,
    struct saga_instance *old, size_t *count, struct diag *diag)
{
    struct txn_scan *scan = NULL;
    const struct txn_range all = {0};
    *count = 0;
    TRY(txn_scan_open(task, txn, txn_statement_begin(txn), saga__tree(CATALOG_TREE_SAGA_INSTANCES),
        &all, false, arena, &scan, diag));
    enum err err = ERR_OK;
    while (err == ERR_OK && *count < EXPIRE_BATCH) {
        struct txn_row row;
        bool found = false;
        struct saga_instance *instance = &old[*count];
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err != ERR_OK || !found || row.key.size != 8) {
            break;
        }
        err = saga__decode_instance(arena, load_be64(row.key.data), row.value, instance, diag);
        if (err == ERR_OK && instance->started > until) {
            break;
        }
        *count += err == ERR_OK && saga__is_final(instance->state) && instance->changed <= until;
        err = err == ERR_OK ? task_breathe(task, diag) : err;
    }
    txn_scan_close(task, scan);
    return err;
}

enum err
saga__expire(struct task *task, struct saga_room *room, struct diag *diag)
{
    int64_t until =
        world_wall_us(room->world) - sql_engine_setting(room->engine, "tusk.saga_history") * 1000;
    struct arena arena;
    arena_create(&arena, "old sagas");
    struct txn *txn = txn_new(sql_engine_db(room->engine), 0);
    size_t count = EXPIRE_BATCH;
    enum err err = ERR_OK;
    while (err == ERR_OK && count == EXPIRE_BATCH) {
        struct saga_instance *old = arena_array(&arena, EXPIRE_BATCH, sizeof *old);
        err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
        if (err != ERR_OK) {
            break;
        }
        err = find_old(task, txn, until, &arena, old, &count, diag);
        for (size_t i = 0; err == ERR_OK && i < count; i++) {
            err = remove_instance(task, txn, &old[i], &arena, diag);
        }
        if (err == ERR_OK && count > 0) {
            err = saga__keep_number(task, room, txn, diag);
        }
        if (err == ERR_OK) {
            err = txn_commit(task, txn, diag);
        } else {
            txn_rollback(task, txn);
        }
        arena_reset(&arena);
    }
    txn_delete(task, txn);
    arena_destroy(&arena);
    return err;
}
