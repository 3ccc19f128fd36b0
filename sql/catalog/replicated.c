/*
 * sql/catalog/replicated.c - see replicated.h.
 *
 *     key     be64 version, be32 piece; of the number itself: be64 0, be32 0
 *     value   the piece's bytes; version byte, be64 the number
 */
#include "sql/catalog/replicated.h"

#include "sql/catalog/buckets.h"
#include "sql/catalog/catalog_internal.h"

enum {
    KEY_SIZE = 12,
    RECORD_VERSION = 1,
    FORGET_BATCH = 4096,
};
/* Above the locks of buckets (buckets.c). */
#define LIST_LOCK ((uint64_t)1 << 49)

static void
encode_key(uint64_t version, uint32_t piece, uint8_t key[KEY_SIZE])
{
    store_be64(key, version);
    store_be32(key + 8, piece);
}

bool
relation_is_replicated(const struct relation *relation)
{
    return relation->sharding != NULL && relation->sharding->scheme.kind == SHARD_REPLICATED;
}

enum err
replicated_check_write(const struct catalog_store *store, struct txn *txn, struct diag *diag)
{
    if (store->node[0] == '\0') {
        return ERR_OK;
    }
    if (txn_replicated_permitted(txn) == TXN_REPLICATED_NOTHING) {
        (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "rows of a replicated table are changed through tusk-router, by statements that name "
            "it");
        diag_hint(diag, "To change this node's copy alone, a superuser may set "
                        "tusk.replicated_alone.");
        return ERR_FEATURE_NOT_SUPPORTED;
    }
    txn_mark_replicated_change(txn);
    return ERR_OK;
}

enum err
replicated_check_referenced(
    const struct catalog_store *store, const struct foreign_key *key, struct diag *diag)
{
    if (store->node[0] == '\0' || !relation_is_replicated(key->referenced_table) ||
        key->table->sharding == NULL || relation_is_replicated(key->table)) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
        "a row of replicated table \"%s\" cannot be deleted, nor its key be changed, while "
        "sharded table \"%s\" refers to it",
        key->referenced_table->name, key->table->name);
    diag_detail(diag,
        "Reason 20 of tusk_router_refusals: foreign key \"%s\"; rows that refer to "
        "it may be on other nodes.",
        key->name);
    return ERR_FEATURE_NOT_SUPPORTED;
}

enum err
replicated_lock(struct task *task, struct catalog_store *store, struct txn *txn, struct diag *diag)
{
    (void)store;
    return txn_lock_table(task, txn, LIST_LOCK, "the list of changes of replicated tables",
        TXN_EXCLUSIVE, TXN_WAIT, diag);
}

enum err
replicated_version(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    uint64_t *version, struct diag *diag)
{
    struct arena arena;
    struct txn_row row;
    bool found;
    uint8_t key[KEY_SIZE];
    encode_key(0, 0, key);
    arena_create(&arena, "replicated");
    enum err err = txn_get(task, txn, snapshot, catalog__tree(CATALOG_TREE_REPLICATED),
        slice_of(key, sizeof key), &arena, &row, &found, diag);
    *version = 0;
    if (err == ERR_OK && found) {
        if (row.value.size != 9 || row.value.data[0] != RECORD_VERSION) {
            err = diag_set(diag, ERR_CORRUPT, "the number of replicated tables is damaged");
        } else {
            *version = load_be64(row.value.data + 1);
        }
    }
    arena_destroy(&arena);
    return err;
}

enum err
replicated_newest(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t *version, struct diag *diag)
{
    return replicated_version(task, txn, catalog_newest_snapshot(store, txn), version, diag);
}

enum err
replicated_put_version(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t version, struct diag *diag)
{
    uint8_t key[KEY_SIZE], value[9] = {RECORD_VERSION};
    encode_key(0, 0, key);
    store_be64(value + 1, version);
    return catalog__put_row(task, store, txn, CATALOG_TREE_REPLICATED, slice_of(key, sizeof key),
        slice_of(value, sizeof value), diag);
}

enum err
replicated_check_route(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, const struct shard_route *route, uint64_t *version,
    struct diag *diag)
{
    bool exactly = route->replicated == SHARD_REPLICATED_EXACTLY;
    TRY(replicated_version(task, txn, snapshot, version, diag));
    if (*version == route->replicated_version ||
        (!exactly && *version > route->replicated_version)) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_REPLICATED_BEHIND,
        "replicated tables are at version %llu at this node's snapshot, and the statement is of "
        "%s %llu",
        (unsigned long long)*version, exactly ? "version" : "at least version",
        (unsigned long long)route->replicated_version);
    diag_detail(diag, "node=%s replicated=%llu", buckets_node(store), (unsigned long long)*version);
    return ERR_REPLICATED_BEHIND;
}

enum err
replicated_put_piece(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t version, uint32_t piece, struct slice bytes, struct diag *diag)
{
    uint8_t key[KEY_SIZE];
    encode_key(version, piece, key);
    return catalog__put_row(
        task, store, txn, CATALOG_TREE_REPLICATED, slice_of(key, sizeof key), bytes, diag);
}

enum err
replicated_get_piece(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t version, uint32_t piece, struct arena *arena, struct slice *bytes, bool *found,
    struct diag *diag)
{
    struct txn_row row;
    uint8_t key[KEY_SIZE];
    encode_key(version, piece, key);
    *found = false;
    if (version == 0) {
        return ERR_OK;
    }
    TRY(txn_get(task, txn, catalog_newest_snapshot(store, txn),
        catalog__tree(CATALOG_TREE_REPLICATED), slice_of(key, sizeof key), arena, &row, found,
        diag));
    *bytes = *found ? row.value : (struct slice){0};
    return ERR_OK;
}

enum err
replicated_forget(struct task *task, struct catalog_store *store, struct txn *txn, uint64_t version,
    uint64_t *count, struct diag *diag)
{
    struct arena arena;
    struct txn_scan *scan = NULL;
    uint8_t low[KEY_SIZE], high[KEY_SIZE];
    uint8_t(*keys)[KEY_SIZE];
    *count = 0;
    encode_key(1, 0, low);
    encode_key(version, UINT32_MAX, high);
    struct txn_range range = {.low = slice_of(low, sizeof low),
        .has_low = true,
        .high = slice_of(high, sizeof high),
        .has_high = true};
    arena_create(&arena, "replicated");
    keys = arena_array(&arena, FORGET_BATCH, sizeof *keys);
    enum err err = txn_scan_open(task, txn, catalog_newest_snapshot(store, txn),
        catalog__tree(CATALOG_TREE_REPLICATED), &range, false, &arena, &scan, diag);
    while (err == ERR_OK && *count < FORGET_BATCH) {
        struct txn_row row;
        bool found = false;
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err != ERR_OK || !found) {
            break;
        }
        if (row.key.size == KEY_SIZE) {
            memcpy(keys[(*count)++], row.key.data, KEY_SIZE);
        }
    }
    if (scan != NULL) {
        txn_scan_close(task, scan);
    }
    for (uint64_t i = 0; err == ERR_OK && i < *count; i++) {
        err = catalog__take_row(
            task, store, txn, CATALOG_TREE_REPLICATED, slice_of(keys[i], KEY_SIZE), diag);
    }
    arena_destroy(&arena);
    return err;
}
