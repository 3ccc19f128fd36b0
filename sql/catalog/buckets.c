/*
 * sql/catalog/buckets.c - see buckets.h.
 *
 *     key     group, NUL, be32 bucket; the epoch of routes: NUL, be32 GROUP_ROW
 *     value   version, state, be64 epoch, be64 attempt, node
 *
 * A word: a tag (a state, or PENDING or STALE) and the LSN from which on it holds. PENDING: a
 * transaction that changes it is at work. STALE: that one has ended, not later than at the LSN.
 */
#include "sql/catalog/buckets.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/reader.h"
#include "sql/catalog/catalog_internal.h"
#include "sql/catalog/index_key.h"
#include "sql/catalog/replicated.h"

enum {
    TAG_BITS = 3,
    TAG_MASK = (1 << TAG_BITS) - 1,
    TAG_STALE = 6,
    TAG_PENDING = 7,
    CHUNK_BITS = 8,
    CHUNK_WORDS = 1 << CHUNK_BITS,
    CHUNKS = SHARD_BUCKETS_MAX / CHUNK_WORDS,
    RECORD_VERSION = 1,
    CAPTURE_SIZE_MAX = 256 * 1024 * 1024,
    NOTE_HEAD = 16,
};
#define GROUP_ROW UINT32_MAX
/* Far above the OIDs and trees that are locked by their numbers. */
#define LOCK_SPACE ((uint64_t)1 << 48)

struct chunk {
    _Atomic uint64_t words[CHUNK_WORDS];
};

struct bucket_group {
    struct bucket_group *next;
    struct catalog_store *store;
    char *name;
    uint32_t number;
    _Atomic(struct chunk *) chunks[CHUNKS]; /* NULL: nothing is stored of these */
    /* How many buckets are or may be SENT (that very word, PENDING or STALE): while there is none,
     * and none has been since `clean_since`, a whole table may be read. */
    _Atomic uint32_t unclean;
    _Atomic uint64_t clean_since;
    _Atomic uint32_t capture_count;
    struct latch capture_latch; /* the next one, and what hangs on it */
    struct bucket_capture *captures;
};

/* Noted: be64 writer's id, be32 relation, be32 size of the key, key. */
struct bucket_capture {
    struct bucket_capture *next;
    struct bucket_group *group;
    uint32_t bucket;
    struct buffer noted;
    bool full; /* more than CAPTURE_SIZE_MAX: the move must begin anew */
};

/* A state changed by a transaction that has not ended. */
struct bucket__pending {
    struct list_node node;
    const struct txn *txn;
    struct bucket_group *group;
    uint32_t bucket;
};

static uint64_t
word_of(unsigned tag, uint64_t lsn)
{
    return (uint64_t)tag | lsn << TAG_BITS;
}

static unsigned
tag_of(uint64_t word)
{
    return (unsigned)(word & TAG_MASK);
}

static uint64_t
lsn_of(uint64_t word)
{
    return word >> TAG_BITS;
}

static bool
may_be_sent(unsigned tag)
{
    return tag == BUCKET_SENT || tag == TAG_PENDING || tag == TAG_STALE;
}

const char *
bucket_state_name(enum bucket_state state)
{
    static const char *const names[] = {"elsewhere", "owned", "handing", "sent", "gone"};
    return names[state];
}

enum bucket_state
buckets_default(const struct catalog_store *store)
{
    return store->node[0] != '\0' ? BUCKET_ELSEWHERE : BUCKET_OWNED;
}

const char *
buckets_node(const struct catalog_store *store)
{
    return store->node;
}

struct bucket_group *
buckets_group(struct catalog_store *store, const char *name)
{
    latch_acquire(&store->latch);
    struct bucket_group *group = store->bucket_groups;
    while (group != NULL && strcmp(group->name, name) != 0) {
        group = group->next;
    }
    if (group == NULL) {
        group = mem_zalloc(sizeof *group);
        group->store = store;
        group->name = mem_alloc(strlen(name) + 1);
        memcpy(group->name, name, strlen(name) + 1);
        group->number = store->bucket_group_count++;
        group->next = store->bucket_groups;
        store->bucket_groups = group;
    }
    latch_release(&store->latch);
    return group;
}

void
catalog__buckets_destroy(struct catalog_store *store)
{
    while (store->bucket_groups != NULL) {
        struct bucket_group *group = store->bucket_groups;
        store->bucket_groups = group->next;
        for (size_t i = 0; i < CHUNKS; i++) {
            mem_free(atomic_load(&group->chunks[i]));
        }
        mem_free(group->name);
        mem_free(group);
    }
    while (!list_empty(&store->buckets_pending)) {
        mem_free(LIST_ENTRY(list_pop_front(&store->buckets_pending), struct bucket__pending, node));
    }
}

/* ---- words ----------------------------------------------------------------------------------- */

static uint64_t
load_word(struct bucket_group *group, uint32_t bucket)
{
    struct chunk *chunk =
        atomic_load_explicit(&group->chunks[bucket >> CHUNK_BITS], memory_order_acquire);
    return chunk == NULL ? word_of(buckets_default(group->store), 0)
                         : atomic_load(&chunk->words[bucket % CHUNK_WORDS]);
}

static _Atomic uint64_t *
word_place(struct bucket_group *group, uint32_t bucket)
{
    _Atomic(struct chunk *) *place = &group->chunks[bucket >> CHUNK_BITS];
    struct chunk *chunk = atomic_load(place);
    if (chunk == NULL) {
        struct chunk *made = mem_zalloc(sizeof *made);
        for (size_t i = 0; i < CHUNK_WORDS; i++) {
            atomic_init(&made->words[i], word_of(buckets_default(group->store), 0));
        }
        if (atomic_compare_exchange_strong(place, &chunk, made)) {
            chunk = made;
        } else {
            mem_free(made);
        }
    }
    return &chunk->words[bucket % CHUNK_WORDS];
}

/* The word changes from what it was; the group's count follows. */
static bool
exchange_word(struct bucket_group *group, uint32_t bucket, uint64_t was, uint64_t becomes)
{
    bool before = may_be_sent(tag_of(was)), after = may_be_sent(tag_of(becomes));
    if (after && !before) {
        atomic_fetch_add(&group->unclean, 1); /* first: a reader may not find it clean meanwhile */
    }
    if (!atomic_compare_exchange_strong(word_place(group, bucket), &was, becomes)) {
        if (after && !before) {
            atomic_fetch_sub(&group->unclean, 1);
        }
        return false;
    }
    if (before && !after) {
        uint64_t since = atomic_load(&group->clean_since);
        while (since < lsn_of(becomes) &&
               !atomic_compare_exchange_weak(&group->clean_since, &since, lsn_of(becomes))) {
        }
        atomic_fetch_sub(&group->unclean, 1);
    }
    return true;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void
encode_key(const struct bucket_group *group, uint32_t bucket, struct buffer *key)
{
    key->size = 0;
    buffer_add(key, group->name, strlen(group->name) + 1);
    buffer_add_be32(key, bucket);
}

static enum err
decode(struct arena *arena, struct slice value, struct bucket_record *record, struct diag *diag)
{
    if (value.size < 18 || value.data[0] != RECORD_VERSION || value.data[1] > BUCKET_GONE) {
        return diag_set(diag, ERR_CORRUPT, "record of a bucket is damaged");
    }
    *record = (struct bucket_record){
        .state = (enum bucket_state)value.data[1],
        .epoch = load_be64(value.data + 2),
        .attempt = load_be64(value.data + 10),
        .node = arena_strndup(arena, (const char *)value.data + 18, value.size - 18),
    };
    return ERR_OK;
}

/* As the snapshot sees it. */
static enum err
read_record(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    struct bucket_group *group, uint32_t bucket, struct arena *arena, struct bucket_record *record,
    struct txn_row *row, bool *found, struct diag *diag)
{
    struct buffer key = {0};
    encode_key(group, bucket, &key);
    enum err err = txn_get(task, txn, snapshot, catalog__tree(CATALOG_TREE_BUCKETS),
        slice_of(key.data, key.size), arena, row, found, diag);
    buffer_destroy(&key);
    TRY(err);
    if (*found) {
        return decode(arena, row->value, record, diag);
    }
    *record = (struct bucket_record){.state = buckets_default(group->store), .node = ""};
    return ERR_OK;
}

/* All that is committed, and this transaction's own. */
static struct txn_snapshot
newest(const struct catalog_store *store)
{
    return (struct txn_snapshot){.lsn = txn_db_visible_lsn(store->db), .command = UINT32_MAX};
}

/* The state at a snapshot: out of the word, or (BU3) out of the tree, and then the word learns. */
static enum err
state_at(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    struct bucket_group *group, uint32_t bucket, enum bucket_state *state, struct diag *diag)
{
    uint64_t word = load_word(group, bucket);
    if (tag_of(word) <= BUCKET_GONE && lsn_of(word) <= snapshot.lsn.v) {
        *state = (enum bucket_state)tag_of(word);
        return ERR_OK;
    }
    struct arena arena;
    arena_create(&arena, "bucket");
    struct bucket_record record;
    struct txn_row row;
    bool found;
    enum err err =
        read_record(task, txn, snapshot, group, bucket, &arena, &record, &row, &found, diag);
    if (err == ERR_OK) {
        *state = record.state;
        if (tag_of(word) == TAG_STALE && lsn_of(word) <= snapshot.lsn.v) {
            (void)exchange_word(
                group, bucket, word, word_of((unsigned)record.state, snapshot.lsn.v));
        }
    }
    arena_destroy(&arena);
    return err;
}

/* ---- opening --------------------------------------------------------------------------------- */

struct loading {
    struct catalog_store *store;
    uint64_t lsn;
};

static enum err
load_record(void *arg, const char *name, uint32_t bucket, const struct bucket_record *record)
{
    struct loading *loading = arg;
    struct bucket_group *group = buckets_group(loading->store, name);
    if (bucket < SHARD_BUCKETS_MAX) {
        (void)exchange_word(group, bucket, load_word(group, bucket),
            word_of((unsigned)record->state, loading->lsn));
    }
    return ERR_OK;
}

enum err
buckets_open(struct task *task, struct catalog_store *store, const char *node, struct diag *diag)
{
    store->node = arena_strdup(&store->arena, node);
    struct arena arena;
    arena_create(&arena, "buckets");
    struct txn *txn = txn_new(store->db, 0);
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, true, diag);
    if (err == ERR_OK) {
        struct txn_snapshot snapshot = txn_statement_begin(txn);
        /* No snapshot is older than this one: what it sees holds from the beginning. */
        struct loading loading = {.store = store, .lsn = 0};
        err = buckets_each(task, txn, snapshot, &arena, load_record, &loading, diag);
        txn_rollback(task, txn);
    }
    txn_delete(task, txn);
    arena_destroy(&arena);
    return err;
}

enum err
buckets_each(struct task *task, struct txn *txn, struct txn_snapshot snapshot, struct arena *arena,
    enum err (*each)(
        void *arg, const char *group, uint32_t bucket, const struct bucket_record *record),
    void *arg, struct diag *diag)
{
    struct txn_scan *scan = NULL;
    struct txn_range all = {0};
    enum err err = txn_scan_open(
        task, txn, snapshot, catalog__tree(CATALOG_TREE_BUCKETS), &all, false, arena, &scan, diag);
    while (err == ERR_OK) {
        struct txn_row row;
        bool found;
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err != ERR_OK || !found) {
            break;
        }
        struct bucket_record record;
        if (row.key.size < 5 || row.key.data[row.key.size - 5] != 0) {
            err = diag_set(diag, ERR_CORRUPT, "key of a bucket is damaged");
            break;
        }
        err = decode(arena, row.value, &record, diag);
        if (err == ERR_OK) {
            err = each(arg, arena_strdup(arena, (const char *)row.key.data),
                load_be32(row.key.data + row.key.size - 4), &record);
        }
    }
    if (scan != NULL) {
        txn_scan_close(task, scan);
    }
    return err;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void
add_detail(struct diag *diag, const struct bucket_group *group, uint32_t bucket, const char *node,
    uint64_t epoch)
{
    diag_detail(diag, "node=%s epoch=%llu bucket=%u group=%s", node, (unsigned long long)epoch,
        bucket, group->name);
}

/* What is known of it in the newest version goes into DETAIL. */
static enum err
refuse(struct task *task, struct txn *txn, struct bucket_group *group, uint32_t bucket,
    enum bucket_state state, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "bucket");
    struct bucket_record record = {.state = state, .node = ""};
    struct txn_row row;
    bool found;
    enum err err = read_record(
        task, txn, newest(group->store), group, bucket, &arena, &record, &row, &found, diag);
    if (err == ERR_OK && state == BUCKET_HANDING) {
        err = diag_set(
            diag, ERR_BUCKET_MOVING, "bucket %u of \"%s\" is being moved", bucket, group->name);
    } else if (err == ERR_OK && record.state == BUCKET_OWNED) {
        /* It came after the snapshot was taken. */
        err = diag_set(diag, ERR_BUCKET_MOVING,
            "bucket %u of \"%s\" has come to this node since the snapshot", bucket, group->name);
    } else if (err == ERR_OK) {
        err = diag_set(
            diag, ERR_WRONG_BUCKET, "bucket %u of \"%s\" is not on this node", bucket, group->name);
    }
    if (err == ERR_WRONG_BUCKET || err == ERR_BUCKET_MOVING) {
        add_detail(diag, group, bucket, record.node, record.epoch);
    }
    arena_destroy(&arena);
    return err;
}

/* ---- checks ---------------------------------------------------------------------------------- */

enum err
buckets_check_epoch(
    const struct catalog *catalog, const struct shard_route *route, struct diag *diag)
{
    uint64_t epoch = catalog_route_epoch(catalog);
    if (route->epoch == epoch) {
        return ERR_OK;
    }
    if (route->epoch < epoch) {
        (void)diag_set(diag, ERR_WRONG_BUCKET,
            "the statement was routed at epoch %llu, and this node is at %llu",
            (unsigned long long)route->epoch, (unsigned long long)epoch);
    } else {
        (void)diag_set(diag, ERR_BUCKET_MOVING,
            "the statement was routed at epoch %llu, and this node is still at %llu",
            (unsigned long long)route->epoch, (unsigned long long)epoch);
    }
    diag_detail(
        diag, "node=%s epoch=%llu", buckets_node(catalog->store), (unsigned long long)epoch);
    return diag->code;
}

enum err
buckets_check_route(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, const struct shard_route *route, struct diag *diag)
{
    if (store->node[0] == '\0') {
        return ERR_OK;
    }
    for (size_t i = 0; i < route->group_count; i++) {
        struct bucket_group *group = buckets_group(store, route->groups[i].name);
        for (size_t r = 0; r < route->groups[i].range_count; r++) {
            struct shard_route_range range = route->groups[i].ranges[r];
            for (uint32_t bucket = range.first; bucket <= range.last; bucket++) {
                enum bucket_state state;
                TRY(state_at(task, txn, snapshot, group, bucket, &state, diag));
                if (state != BUCKET_OWNED && state != BUCKET_HANDING) {
                    return refuse(task, txn, group, bucket, state, diag);
                }
            }
        }
    }
    return ERR_OK;
}

struct search {
    struct bucket_group *group;
    uint64_t lsn; /* of the snapshot */
    bool sent;
    uint32_t bucket;
};

static enum err
look_for_sent(void *arg, const char *name, uint32_t bucket, const struct bucket_record *record)
{
    struct search *search = arg;
    if (bucket == GROUP_ROW || strcmp(name, search->group->name) != 0) {
        return ERR_OK;
    }
    uint64_t word = load_word(search->group, bucket);
    if (tag_of(word) == TAG_STALE && lsn_of(word) <= search->lsn) {
        (void)exchange_word(
            search->group, bucket, word, word_of((unsigned)record->state, search->lsn));
    }
    if (record->state == BUCKET_SENT) {
        search->sent = true;
        search->bucket = bucket;
    }
    return ERR_OK;
}

enum err
buckets_check_table(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, const struct relation *relation, struct diag *diag)
{
    if (store->node[0] == '\0' || relation->sharding == NULL ||
        relation->sharding->ownership == NULL) {
        return ERR_OK;
    }
    struct bucket_group *group = relation->sharding->ownership;
    /* In this order: who leaves the count has moved clean_since before. */
    if (atomic_load(&group->unclean) == 0 && atomic_load(&group->clean_since) <= snapshot.lsn.v) {
        return ERR_OK;
    }
    struct arena arena;
    arena_create(&arena, "buckets");
    struct search search = {.group = group, .lsn = snapshot.lsn.v};
    enum err err = buckets_each(task, txn, snapshot, &arena, look_for_sent, &search, diag);
    arena_destroy(&arena);
    TRY(err);
    if (search.sent) {
        (void)diag_set(diag, ERR_BUCKET_MOVING, "bucket %u of \"%s\" is being moved", search.bucket,
            group->name);
        add_detail(diag, group, search.bucket, "", 0);
        return ERR_BUCKET_MOVING;
    }
    return ERR_OK;
}

enum err
buckets_lock(struct task *task, struct txn *txn, struct bucket_group *group, uint32_t bucket,
    bool alone, struct diag *diag)
{
    return txn_lock_table(task, txn, LOCK_SPACE | (uint64_t)group->number << 16 | bucket,
        group->name, alone ? TXN_EXCLUSIVE : TXN_ROW_EXCLUSIVE, TXN_WAIT, diag);
}

static void
note(struct txn *txn, struct bucket_group *group, uint32_t bucket, oid_t relation, struct slice key)
{
    latch_acquire(&group->capture_latch);
    for (struct bucket_capture *at = group->captures; at != NULL; at = at->next) {
        if (at->bucket == bucket) {
            at->full = at->full || at->noted.size > CAPTURE_SIZE_MAX;
            if (!at->full) {
                buffer_add_be64(&at->noted, txn_id(txn).v);
                buffer_add_be32(&at->noted, relation);
                buffer_add_be32(&at->noted, (uint32_t)key.size);
                buffer_add(&at->noted, key.data, key.size);
            }
        }
    }
    latch_release(&group->capture_latch);
}

/* BU1 */
static enum err
check_owned(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t bucket, struct diag *diag)
{
    TRY(buckets_lock(task, txn, group, bucket, false, diag));
    enum bucket_state state;
    TRY(state_at(task, txn, newest(store), group, bucket, &state, diag));
    return state == BUCKET_OWNED ? ERR_OK : refuse(task, txn, group, bucket, state, diag);
}

enum err
buckets_check_key(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t bucket, struct slice key, struct diag *diag)
{
    TRY(check_owned(task, store, txn, group, bucket, diag));
    if (key.size > 0 && atomic_load(&group->capture_count) > 0) {
        TRY(txn_need_id(task, txn, diag));
        note(txn, group, bucket, 0, key);
    }
    return ERR_OK;
}

enum err
buckets_check_write(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct relation *relation, const struct datum *row, struct buffer *key, struct diag *diag)
{
    const struct sharding *sharding = relation->sharding;
    if (sharding->scheme.kind == SHARD_REPLICATED) {
        return replicated_check_write(store, txn, diag);
    }
    uint32_t bucket;
    TRY(sharding_bucket(relation, row, key, &bucket, diag));
    if (store->node[0] == '\0' || sharding->ownership == NULL) {
        return ERR_OK;
    }
    struct bucket_group *group = sharding->ownership;
    TRY(check_owned(task, store, txn, group, bucket, diag));
    if (atomic_load(&group->capture_count) > 0 && relation->primary != NULL) {
        TRY(txn_need_id(task, txn, diag));
        key->size = 0;
        index_row_key(relation, row, key);
        note(txn, group, bucket, relation->oid, slice_of(key->data, key->size));
    }
    return ERR_OK;
}

/* ---- following ------------------------------------------------------------------------------- */

/* Who writes by an old look at capture_count has ended when the lock is ours alone. */
static enum err
wait_for_writers(struct task *task, struct catalog_store *store, struct bucket_group *group,
    uint32_t bucket, struct diag *diag)
{
    struct txn *txn = txn_new(store->db, 0);
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, true, diag);
    if (err == ERR_OK) {
        err = buckets_lock(task, txn, group, bucket, true, diag);
        txn_rollback(task, txn);
    }
    txn_delete(task, txn);
    return err;
}

enum err
buckets_capture(struct task *task, struct catalog_store *store, struct bucket_group *group,
    uint32_t bucket, struct bucket_capture **capture_out, struct diag *diag)
{
    struct bucket_capture *capture = mem_zalloc(sizeof *capture);
    capture->group = group;
    capture->bucket = bucket;
    latch_acquire(&group->capture_latch);
    capture->next = group->captures;
    group->captures = capture;
    atomic_fetch_add(&group->capture_count, 1);
    latch_release(&group->capture_latch);
    enum err err = wait_for_writers(task, store, group, bucket, diag);
    if (err != ERR_OK) {
        buckets_capture_end(capture);
        return err;
    }
    *capture_out = capture;
    return ERR_OK;
}

void
buckets_capture_end(struct bucket_capture *capture)
{
    struct bucket_group *group = capture->group;
    latch_acquire(&group->capture_latch);
    struct bucket_capture **link = &group->captures;
    while (*link != capture) {
        link = &(*link)->next;
    }
    *link = capture->next;
    atomic_fetch_sub(&group->capture_count, 1);
    latch_release(&group->capture_latch);
    buffer_destroy(&capture->noted);
    mem_free(capture);
}

enum err
buckets_captured(struct bucket_capture *capture, struct arena *arena,
    struct bucket_change **changes, size_t *count, size_t *open, struct diag *diag)
{
    struct bucket_group *group = capture->group;
    struct txn_db *db = group->store->db;
    latch_acquire(&group->capture_latch);
    struct buffer noted = capture->noted;
    bool full = capture->full;
    capture->noted = (struct buffer){0};
    latch_release(&group->capture_latch);
    struct buffer rest = {0};
    size_t room = noted.size / NOTE_HEAD + 1;
    *changes = arena_array(arena, room, sizeof **changes);
    *count = 0;
    *open = 0;
    for (size_t at = 0; at < noted.size;) {
        const uint8_t *head = noted.data + at;
        size_t size = load_be32(head + 12);
        if (txn_db_is_active(db, (txn_id_t){load_be64(head)})) {
            buffer_add(&rest, head, NOTE_HEAD + size);
            (*open)++;
        } else {
            (*changes)[(*count)++] = (struct bucket_change){
                .relation = load_be32(head + 8),
                .key = slice_of(arena_copy(arena, head + NOTE_HEAD, size), size),
            };
        }
        at += NOTE_HEAD + size;
    }
    latch_acquire(&group->capture_latch);
    buffer_add(&rest, capture->noted.data, capture->noted.size);
    struct buffer later = capture->noted;
    capture->noted = rest;
    latch_release(&group->capture_latch);
    buffer_destroy(&later);
    buffer_destroy(&noted);
    return full ? diag_set(diag, ERR_LIMIT, "too much is written in bucket %u while it is moved",
                      capture->bucket)
                : ERR_OK;
}

/* ---- changing -------------------------------------------------------------------------------- */

enum err
buckets_get(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t bucket, struct arena *arena, struct bucket_record *record,
    struct diag *diag)
{
    struct txn_row row;
    bool found;
    return read_record(task, txn, newest(store), group, bucket, arena, record, &row, &found, diag);
}

/* BU3. Before the row is written: nobody believes the word until the end is known. */
static void
announce(struct catalog_store *store, struct txn *txn, struct bucket_group *group, uint32_t bucket)
{
    struct bucket__pending *pending = mem_zalloc(sizeof *pending);
    pending->txn = txn;
    pending->group = group;
    pending->bucket = bucket;
    latch_acquire(&store->latch);
    list_push_back(&store->buckets_pending, &pending->node);
    atomic_fetch_add(&store->buckets_pending_count, 1);
    latch_release(&store->latch);
    uint64_t word;
    do {
        word = load_word(group, bucket);
    } while (!exchange_word(group, bucket, word, word_of(TAG_PENDING, 0)));
}

void
buckets_transaction_ended(struct catalog_store *store, struct txn *txn)
{
    if (atomic_load_explicit(&store->buckets_pending_count, memory_order_relaxed) == 0) {
        return;
    }
    uint64_t now = txn_db_visible_lsn(store->db).v;
    latch_acquire(&store->latch);
    struct list_node *node = store->buckets_pending.next;
    while (node != &store->buckets_pending) {
        struct bucket__pending *pending = LIST_ENTRY(node, struct bucket__pending, node);
        node = node->next;
        if (pending->txn != txn) {
            continue;
        }
        list_remove(&pending->node);
        atomic_fetch_sub(&store->buckets_pending_count, 1);
        bool another = false;
        LIST_FOREACH (at, &store->buckets_pending) {
            const struct bucket__pending *other = LIST_ENTRY(at, struct bucket__pending, node);
            another =
                another || (other->group == pending->group && other->bucket == pending->bucket);
        }
        uint64_t word = load_word(pending->group, pending->bucket);
        if (!another && tag_of(word) == TAG_PENDING) {
            (void)exchange_word(pending->group, pending->bucket, word, word_of(TAG_STALE, now));
        }
        mem_free(pending);
    }
    latch_release(&store->latch);
}

static enum err
write_record(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t bucket, const struct bucket_record *record,
    struct diag *diag)
{
    struct arena arena;
    struct buffer key = {0}, value = {0};
    arena_create(&arena, "bucket");
    encode_key(group, bucket, &key);
    buffer_add_u8(&value, RECORD_VERSION);
    buffer_add_u8(&value, (uint8_t)record->state);
    buffer_add_be64(&value, record->epoch);
    buffer_add_be64(&value, record->attempt);
    buffer_add_text(&value, record->node);
    enum err err = catalog__put_row(task, store, txn, CATALOG_TREE_BUCKETS,
        slice_of(key.data, key.size), slice_of(value.data, value.size), diag);
    buffer_destroy(&key);
    buffer_destroy(&value);
    arena_destroy(&arena);
    return err;
}

enum err
buckets_put(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t bucket, const struct bucket_record *record,
    struct diag *diag)
{
    ASSERT(bucket < SHARD_BUCKETS_MAX);
    announce(store, txn, group, bucket);
    return write_record(task, store, txn, group, bucket, record, diag);
}

/* What stands behind the bucket is the key of tree 26; in the value stands when it was committed.
 */
static enum err
split_key(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t child, struct slice tree_key, struct slice committed,
    struct diag *diag)
{
    struct arena arena;
    struct buffer key = {0}, line_key = {0}, line = {0};
    struct txn_row row;
    bool found = false;
    arena_create(&arena, "split key");
    encode_key(group, child, &key);
    buffer_add(&key, tree_key.data, tree_key.size);
    enum err err = catalog__put_row(task, store, txn, CATALOG_TREE_IDEMPOTENCY_BUCKETS,
        slice_of(key.data, key.size), committed, diag);
    buffer_add(&line_key, committed.data, committed.size);
    buffer_add(&line_key, tree_key.data, tree_key.size);
    struct slice at = slice_of(line_key.data, line_key.size);
    if (err == ERR_OK) {
        err = txn_get(task, txn, newest(store), catalog__tree(CATALOG_TREE_IDEMPOTENCY_AGES), at,
            &arena, &row, &found, diag);
    }
    if (err == ERR_OK && found) {
        buffer_add(&line, row.value.data, row.value.size);
        buffer_add_sized(&line, group->name);
        buffer_add_be32(&line, child);
        err = catalog__put_row(task, store, txn, CATALOG_TREE_IDEMPOTENCY_AGES, at,
            slice_of(line.data, line.size), diag);
    }
    buffer_destroy(&key);
    buffer_destroy(&line_key);
    buffer_destroy(&line);
    arena_destroy(&arena);
    return err;
}

enum err
buckets_split_keys(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t parent, uint32_t child, struct diag *diag)
{
    struct arena arena;
    struct buffer low = {0}, high = {0};
    struct txn_scan *scan = NULL;
    arena_create(&arena, "split keys");
    encode_key(group, parent, &low);
    encode_key(group, parent + 1, &high); /* the child is behind it, or at it */
    const struct txn_range range = {.low = slice_of(low.data, low.size),
        .has_low = true,
        .high = slice_of(high.data, high.size),
        .has_high = true};
    enum err err = txn_scan_open(task, txn, newest(store),
        catalog__tree(CATALOG_TREE_IDEMPOTENCY_BUCKETS), &range, false, &arena, &scan, diag);
    while (err == ERR_OK) {
        struct txn_row row;
        bool found = false;
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err != ERR_OK || !found) {
            break;
        }
        if (row.key.size > low.size && memcmp(row.key.data, low.data, low.size) == 0) {
            struct slice key = slice_of(row.key.data + low.size, row.key.size - low.size);
            err = split_key(task, store, txn, group, child,
                slice_of(arena_copy(&arena, key.data, key.size), key.size),
                slice_of(arena_copy(&arena, row.value.data, row.value.size), row.value.size), diag);
        }
        err = err == ERR_OK ? task_breathe(task, diag) : err;
    }
    if (scan != NULL) {
        txn_scan_close(task, scan);
    }
    buffer_destroy(&low);
    buffer_destroy(&high);
    arena_destroy(&arena);
    return err;
}

enum err
buckets_put_epoch(struct task *task, struct catalog_store *store, struct txn *txn, uint64_t epoch,
    struct diag *diag)
{
    struct bucket_record record = {.state = BUCKET_OWNED, .epoch = epoch, .node = ""};
    enum err err =
        write_record(task, store, txn, buckets_group(store, ""), GROUP_ROW, &record, diag);
    txn_mark_schema_change(txn); /* pictures are read anew */
    catalog_invalidate(store, txn);
    return err;
}

enum err
catalog__read_route_epoch(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, uint64_t *epoch, struct diag *diag)
{
    struct arena arena;
    struct bucket_record record;
    struct txn_row row;
    bool found;
    arena_create(&arena, "epoch");
    enum err err = read_record(task, txn, snapshot, buckets_group(store, ""), GROUP_ROW, &arena,
        &record, &row, &found, diag);
    *epoch = err == ERR_OK && found ? record.epoch : 0;
    arena_destroy(&arena);
    return err;
}

enum err
buckets_remove_group(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, struct diag *diag)
{
    for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
        if (atomic_load(&group->chunks[chunk]) != NULL) {
            for (uint32_t i = 0; i < CHUNK_WORDS; i++) {
                announce(store, txn, group, chunk << CHUNK_BITS | i);
            }
        }
    }
    struct buffer prefix = {0};
    buffer_add(&prefix, group->name, strlen(group->name) + 1);
    enum err err = catalog__take_prefix(
        task, store, txn, CATALOG_TREE_BUCKETS, slice_of(prefix.data, prefix.size), diag);
    buffer_destroy(&prefix);
    return err;
}
