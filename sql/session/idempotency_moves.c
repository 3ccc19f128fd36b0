/*
 * sql/session/idempotency_moves.c - idempotency keys go with a bucket to another node.
 *
 * A transaction is repeated where its first statement is sent to, which is decided by the buckets
 * that this statement is for. So beside the key there is an entry at each of these buckets:
 *
 *     key     group, NUL, be32 bucket, key in the tree of keys (tree 39)
 *     value   be64 time of the commit, by which it is known from a later transaction's
 *
 * and the key's line in the order of ages has as its value the buckets: each be32 size and bytes of
 * the group, be32 bucket. When a bucket is moved (moves.c) its keys are part of what is sent:
 *
 *     be32 size and bytes of the role's name; be32 size and bytes of the key; the outcome
 *
 * Invariants
 *   I4. A transaction that has taken effect has its key on the node that owns the buckets of its
 *       first statement, until the key's time is over: the key is in the commit record (I2), is
 *       sent with each of the buckets, and is committed by who receives it with rows and ownership.
 *       A bucket that is split leaves all its keys to both halves (buckets_split_keys).
 *   I5. Who commits with a key holds the lock of these buckets, shared, and has seen OWNED, as who
 *       writes a row does (BU1), also if he has only read them. So all keys are known at the stop,
 *       and those that come while the bucket is sent are noted by then. Who is answered from a key
 *       holds them, too: so he begins where the key's rows are, and they stay while he asks.
 *   I6. What is sent means the same at the other node: names, no OIDs. The columns of the answer
 *       are of no table, and rows with values of users' types are not kept.
 *   I7. A key that the receiver has stays as it is, but for one of the same request that is older
 *       or whose time is over. So a bucket may come back, and of two requests under one key that
 *       meet one is refused (TI001): none is done twice.
 */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/reader.h"
#include "sql/catalog/access.h"
#include "sql/session/idempotency_internal.h"

static tree_id_t
keys_tree(void)
{
    return catalog__tree(CATALOG_TREE_IDEMPOTENCY_KEYS);
}

static tree_id_t
ages_tree(void)
{
    return catalog__tree(CATALOG_TREE_IDEMPOTENCY_AGES);
}

static tree_id_t
entries_tree(void)
{
    return catalog__tree(CATALOG_TREE_IDEMPOTENCY_BUCKETS);
}

/* In place of what is there. */
static enum err
put_row(struct task *task, struct txn *txn, tree_id_t tree, struct slice key, struct slice value,
    struct arena *arena, struct diag *diag)
{
    for (;;) {
        struct txn_row existing, latest;
        enum txn_outcome outcome = TXN_GONE;
        (void)txn_statement_begin(txn);
        enum err err = txn_insert(task, txn, tree, key, value, arena, &existing, diag);
        if (err != ERR_UNIQUE) {
            return err;
        }
        TRY(txn_update(task, txn, txn_statement_begin(txn), tree, key, existing.version, value,
            arena, &latest, &outcome, diag));
        if (outcome == TXN_DONE) {
            return ERR_OK;
        }
    }
}

static void
add_bucket(struct buffer *to, const struct keyed_bucket *bucket)
{
    buffer_add(to, bucket->group, strlen(bucket->group) + 1);
    buffer_add_be32(to, bucket->bucket);
}

static enum err
put_entry(struct task *task, struct txn *txn, const struct keyed_bucket *bucket,
    struct slice tree_key, int64_t committed, struct arena *arena, struct diag *diag)
{
    struct buffer key = {0};
    uint8_t value[8];
    add_bucket(&key, bucket);
    buffer_add(&key, tree_key.data, tree_key.size);
    store_be64(value, (uint64_t)committed);
    enum err err = put_row(task, txn, entries_tree(), slice_of(key.data, key.size),
        slice_of(value, sizeof value), arena, diag);
    buffer_destroy(&key);
    return err;
}

static void
add_line_key(struct buffer *to, int64_t committed, struct slice tree_key)
{
    buffer_add_be64(to, (uint64_t)committed);
    buffer_add(to, tree_key.data, tree_key.size);
}

static void
add_to_line(struct buffer *to, const struct keyed_bucket *bucket)
{
    buffer_add_sized(to, bucket->group);
    buffer_add_be32(to, bucket->bucket);
}

/* ---- at the transaction's own node ----------------------------------------------------------- */

uint32_t
idempotency__routed(
    const struct shard_route *route, struct arena *arena, struct keyed_bucket **buckets)
{
    uint32_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            *buckets = arena_array(arena, (size_t)count + 1, sizeof **buckets);
        }
        count = 0;
        for (size_t i = 0; i < route->group_count; i++) {
            const struct shard_route_group *group = &route->groups[i];
            const char *name = pass == 1 ? arena_strdup(arena, group->name) : NULL;
            for (size_t r = 0; r < group->range_count; r++) {
                for (uint32_t at = group->ranges[r].first; at <= group->ranges[r].last; at++) {
                    if (pass == 1) {
                        (*buckets)[count] = (struct keyed_bucket){.group = name, .bucket = at};
                    }
                    count++;
                }
            }
        }
    }
    return count;
}

enum err
idempotency__check_buckets(struct task *task, struct sql_session *session, struct slice tree_key,
    const struct keyed_bucket *buckets, uint32_t count, struct diag *diag)
{
    struct catalog_store *store = session->engine->catalogs;
    for (uint32_t i = 0; i < count; i++) {
        TRY(buckets_check_key(task, store, session->txn, buckets_group(store, buckets[i].group),
            buckets[i].bucket, tree_key, diag));
    }
    return ERR_OK;
}

enum err
idempotency__add_buckets(struct task *task, struct sql_session *session, struct slice tree_key,
    int64_t committed, const struct keyed_bucket *buckets, uint32_t count, struct diag *diag)
{
    struct arena arena;
    struct buffer key = {0}, line = {0};
    arena_create(&arena, "keyed buckets");
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        add_to_line(&line, &buckets[i]);
        err = put_entry(task, session->txn, &buckets[i], tree_key, committed, &arena, diag);
    }
    if (err == ERR_OK) {
        add_line_key(&key, committed, tree_key);
        err = txn_insert(task, session->txn, ages_tree(), slice_of(key.data, key.size),
            slice_of(line.data, line.size), NULL, NULL, diag);
    }
    buffer_destroy(&key);
    buffer_destroy(&line);
    arena_destroy(&arena);
    return err;
}

static enum err
remove_entry(struct task *task, struct txn *txn, struct slice key, int64_t committed,
    struct arena *arena, struct diag *diag)
{
    struct txn_row row;
    bool found = false;
    enum txn_outcome outcome;
    struct txn_snapshot snapshot = txn_statement_begin(txn);
    TRY(txn_get(task, txn, snapshot, entries_tree(), key, arena, &row, &found, diag));
    return found && row.value.size == 8 && (int64_t)load_be64(row.value.data) == committed
               ? txn_remove(task, txn, snapshot, entries_tree(), key, row.version, arena, &row,
                     &outcome, diag)
               : ERR_OK;
}

enum err
idempotency__remove_buckets(struct task *task, struct txn *txn, struct slice tree_key,
    int64_t committed, struct slice line, struct arena *arena, struct diag *diag)
{
    struct reader reader = {.rest = line};
    struct buffer key = {0};
    enum err err = ERR_OK;
    while (err == ERR_OK && reader.rest.size > 0) {
        struct keyed_bucket bucket = {.group = reader_text(&reader, arena)};
        bucket.bucket = load_be32(reader_take(&reader, 4));
        if (reader.bad) {
            err = diag_set(diag, ERR_CORRUPT, "the age of an idempotency key is damaged");
            break;
        }
        key.size = 0;
        add_bucket(&key, &bucket);
        buffer_add(&key, tree_key.data, tree_key.size);
        err = remove_entry(task, txn, slice_of(key.data, key.size), committed, arena, diag);
    }
    buffer_destroy(&key);
    return err;
}

/* ---- who sends ------------------------------------------------------------------------------- */

static struct txn_snapshot
newest(const struct sql_session *session)
{
    return (struct txn_snapshot){
        .lsn = txn_db_visible_lsn(session->engine->db), .command = UINT32_MAX};
}

/* Role and key, whatever the outcome: the receiver may have one of his own (I7). */
static void
count_key(struct key_move *move, const char *role, struct slice text)
{
    move->keys++;
    move->sum += hash64(text.data, text.size, hash64(role, strlen(role), 0));
}

enum err
idempotency__send_key(struct task *task, struct key_move *move, struct slice tree_key,
    void (*put)(struct buffer *to, struct slice record), struct buffer *to, struct diag *diag)
{
    struct sql_session *session = move->session;
    struct buffer owner = {0}, record = {0};
    struct arena arena;
    struct txn_row row;
    bool found = false;
    int64_t committed = 0;
    arena_create(&arena, "key of a bucket");
    idempotency__add_owner(&owner, session->database_oid, 0);
    size_t before = owner.size - sizeof(oid_t);
    size_t head = owner.size;
    bool ours = tree_key.size > head && memcmp(tree_key.data, owner.data, before) == 0;
    enum err err = ours ? txn_get(task, session->txn, newest(session), keys_tree(), tree_key,
                              &arena, &row, &found, diag)
                        : ERR_OK;
    const struct role *role =
        found ? catalog_role_by_oid(move->catalog, load_be32(tree_key.data + before)) : NULL;
    if (err == ERR_OK && role != NULL && idempotency__committed_at(row.value, &committed) &&
        !idempotency__is_over(session, committed)) {
        struct slice text = slice_of(tree_key.data + head, tree_key.size - head);
        buffer_add_sized(&record, role->name);
        buffer_add_be32(&record, (uint32_t)text.size);
        buffer_add(&record, text.data, text.size);
        if (idempotency__add_portable(row.value, &arena, &record)) {
            put(to, slice_of(record.data, record.size));
            count_key(move, role->name, text);
        } else {
            err = diag_set(diag, ERR_CORRUPT, "the outcome kept for an idempotency key is damaged");
        }
    }
    buffer_destroy(&owner);
    buffer_destroy(&record);
    arena_destroy(&arena);
    return err;
}

/* The entries behind `last`: the next one's key, that of its key in *tree_key. */
static enum err
next_entry(struct task *task, struct key_move *move, struct txn_scan *scan, struct slice prefix,
    struct slice *tree_key, bool *found, struct diag *diag)
{
    struct txn_row row;
    TRY(txn_scan_next(task, scan, &row, found, diag));
    *found =
        *found && row.key.size > prefix.size && memcmp(row.key.data, prefix.data, prefix.size) == 0;
    if (*found) {
        move->last.size = 0;
        buffer_add(&move->last, row.key.data, row.key.size);
        *tree_key = slice_of(move->last.data + prefix.size, move->last.size - prefix.size);
    }
    return ERR_OK;
}

static enum err
open_entries(struct task *task, struct key_move *move, struct arena *arena, struct slice *prefix,
    struct txn_scan **scan, struct diag *diag)
{
    struct buffer key = {0};
    add_bucket(&key, &(struct keyed_bucket){.group = move->group, .bucket = move->bucket});
    *prefix = slice_of(arena_copy(arena, key.data, key.size), key.size);
    buffer_destroy(&key);
    struct slice low = move->last.size > 0 ? slice_of(move->last.data, move->last.size) : *prefix;
    const struct txn_range range = {
        .low = slice_of(arena_copy(arena, low.data, low.size), low.size),
        .has_low = true,
        .low_exclusive = true,
    };
    return txn_scan_open(task, move->session->txn, newest(move->session), entries_tree(), &range,
        false, arena, scan, diag);
}

enum err
idempotency__send(struct task *task, struct key_move *move, size_t size_max,
    void (*put)(struct buffer *to, struct slice record), struct buffer *to, struct diag *diag)
{
    struct arena arena;
    struct slice prefix, tree_key;
    struct txn_scan *scan = NULL;
    arena_create(&arena, "keys of a bucket");
    enum err err = open_entries(task, move, &arena, &prefix, &scan, diag);
    while (err == ERR_OK && !move->sent_all && to->size < size_max) {
        bool found = false;
        err = next_entry(task, move, scan, prefix, &tree_key, &found, diag);
        move->sent_all = !found;
        if (err == ERR_OK && found) {
            err = idempotency__send_key(task, move, tree_key, put, to, diag);
        }
        err = err == ERR_OK ? task_breathe(task, diag) : err;
    }
    if (scan != NULL) {
        txn_scan_close(task, scan);
    }
    arena_destroy(&arena);
    return err;
}

enum err
idempotency__leave(struct task *task, struct key_move *move, struct diag *diag)
{
    struct arena arena;
    struct slice prefix, tree_key;
    struct txn_scan *scan = NULL;
    arena_create(&arena, "keys of a bucket");
    enum err err = open_entries(task, move, &arena, &prefix, &scan, diag);
    for (bool found = true; err == ERR_OK && found;) {
        struct txn_row row;
        enum txn_outcome outcome;
        err = next_entry(task, move, scan, prefix, &tree_key, &found, diag);
        struct slice key = slice_of(move->last.data, move->last.size);
        struct arena_mark mark = arena_mark(&arena);
        bool there = false;
        struct txn_snapshot snapshot = newest(move->session);
        if (err == ERR_OK && found) {
            err = txn_get(task, move->session->txn, snapshot, entries_tree(), key, &arena, &row,
                &there, diag);
        }
        if (err == ERR_OK && there) {
            err = txn_remove(task, move->session->txn, snapshot, entries_tree(), key, row.version,
                &arena, &row, &outcome, diag);
        }
        arena_rewind(&arena, mark);
        err = err == ERR_OK ? task_breathe(task, diag) : err;
    }
    if (scan != NULL) {
        txn_scan_close(task, scan);
    }
    arena_destroy(&arena);
    return err;
}

/* ---- who receives ---------------------------------------------------------------------------- */

/* I7. *committed: of the one that stands there in the end. */
static enum err
store_key(struct task *task, struct key_move *move, struct slice tree_key, struct slice value,
    int64_t *committed, struct arena *arena, struct diag *diag)
{
    struct txn *txn = move->session->txn;
    for (;;) {
        struct txn_row existing, latest;
        int64_t here = 0;
        enum txn_outcome outcome = TXN_GONE;
        (void)txn_statement_begin(txn);
        enum err err = txn_insert(task, txn, keys_tree(), tree_key, value, arena, &existing, diag);
        if (err != ERR_UNIQUE) {
            return err;
        }
        if (!idempotency__committed_at(existing.value, &here)) {
            return diag_set(
                diag, ERR_CORRUPT, "the outcome kept for an idempotency key is damaged");
        }
        bool newer = here < *committed && idempotency__same_request(existing.value, value, arena);
        if (!newer && !idempotency__is_over(move->session, here)) {
            *committed = here;
            return ERR_OK;
        }
        TRY(txn_update(task, txn, txn_statement_begin(txn), keys_tree(), tree_key, existing.version,
            value, arena, &latest, &outcome, diag));
        if (outcome == TXN_DONE) {
            return ERR_OK;
        }
    }
}

/* Its entry at the bucket, and the bucket in its line. */
static enum err
link_bucket(struct task *task, struct key_move *move, struct slice tree_key, int64_t committed,
    struct arena *arena, struct diag *diag)
{
    struct txn *txn = move->session->txn;
    const struct keyed_bucket bucket = {.group = move->group, .bucket = move->bucket};
    struct buffer key = {0}, line = {0};
    struct txn_row row;
    bool found = false;
    add_line_key(&key, committed, tree_key);
    struct slice line_key = slice_of(key.data, key.size);
    enum err err = put_entry(task, txn, &bucket, tree_key, committed, arena, diag);
    if (err == ERR_OK) {
        err = txn_get(
            task, txn, newest(move->session), ages_tree(), line_key, arena, &row, &found, diag);
    }
    bool there = false;
    struct reader reader = {.rest = err == ERR_OK && found ? row.value : (struct slice){0}};
    buffer_add(&line, reader.rest.data, reader.rest.size);
    while (!reader.bad && reader.rest.size > 0) {
        const char *group = reader_text(&reader, arena);
        there =
            load_be32(reader_take(&reader, 4)) == bucket.bucket && strcmp(group, bucket.group) == 0
                ? true
                : there;
    }
    if (err == ERR_OK && !there) {
        add_to_line(&line, &bucket);
        err =
            put_row(task, txn, ages_tree(), line_key, slice_of(line.data, line.size), arena, diag);
    }
    buffer_destroy(&key);
    buffer_destroy(&line);
    return err;
}

/* By what is stored, not by what came. */
static enum err
count_stored(struct task *task, struct key_move *move, struct slice tree_key, const char *role,
    struct slice text, struct arena *arena, struct diag *diag)
{
    struct txn_row row;
    bool found = false;
    int64_t committed;
    TRY(txn_get(task, move->session->txn, newest(move->session), keys_tree(), tree_key, arena, &row,
        &found, diag));
    if (found && idempotency__committed_at(row.value, &committed)) {
        count_key(move, role, text);
    }
    return ERR_OK;
}

enum err
idempotency__receive(
    struct task *task, struct key_move *move, struct slice record, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "key of a bucket");
    struct reader reader = {.rest = record};
    const char *name = reader_text(&reader, &arena);
    struct slice text = reader_run(&reader, load_be32(reader_take(&reader, 4)));
    struct slice value = reader.rest;
    int64_t committed = 0;
    struct buffer tree_key = {0};
    const struct role *role = catalog_role(move->catalog, name);
    enum err err = ERR_OK;
    if (reader.bad || text.size == 0 || !idempotency__committed_at(value, &committed)) {
        err = diag_set(diag, ERR_INVALID_BINARY, "this is no idempotency key of a bucket");
    } else if (role == NULL) {
        err = diag_set(diag, ERR_UNDEFINED_OBJECT,
            "role \"%s\", which has idempotency keys, does not exist on this node", name);
    } else {
        idempotency__add_owner(&tree_key, move->session->database_oid, role->oid);
        buffer_add(&tree_key, text.data, text.size);
        struct slice key = slice_of(tree_key.data, tree_key.size);
        err = store_key(task, move, key, value, &committed, &arena, diag);
        err = err == ERR_OK ? link_bucket(task, move, key, committed, &arena, diag) : err;
        err = err == ERR_OK ? count_stored(task, move, key, name, text, &arena, diag) : err;
    }
    buffer_destroy(&tree_key);
    arena_destroy(&arena);
    return err;
}
