/* sql/catalog/sequence.c - values of sequences. */
#include "sql/catalog/sequence.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sql/catalog/catalog_internal.h"

enum {
    BLOCK_MIN = 32,               /* values reserved at a time, growing with use .. */
    BLOCK_MAX = 4096,             /* .. to this */
    BLOCK_QUICK_US = 1000 * 1000, /* a block used up within this was too small */
    POLL_US = 100,
    STATE_VERSION = 1,
    STATE_SIZE = 10, /* version, be64 value, called */
};

struct sequence_state {
    struct sequence_state *chain;
    oid_t oid;
    uint64_t generation;
    bool busy;   /* a task is reserving, or setting a value */
    bool loaded; /* last and called are known */
    bool called;
    int64_t last;
    int64_t next; /* `left` values from here on are reserved */
    uint32_t left, block;
    int64_t reserved_at;
};

struct sequence_session {
    struct catalog_store *store;
    struct txn *txn;
    struct {
        oid_t oid;
        int64_t value;
    } * values;
    uint32_t count, capacity;
    uint32_t last; /* index + 1 of the last one asked; 0: none */
};

/* ---- sessions ---------------------------------------------------------------------------------
 */

struct sequence_session *
sequence_session_new(struct catalog_store *store, struct txn *txn)
{
    struct sequence_session *session = mem_zalloc(sizeof *session);
    session->store = store;
    session->txn = txn;
    return session;
}

struct catalog_store *
sequence_session_store(const struct sequence_session *session)
{
    return session->store;
}

void
sequence_session_forget(struct sequence_session *session)
{
    session->count = 0;
    session->last = 0;
}

void
sequence_session_delete(struct sequence_session *session)
{
    mem_free(session->values);
    mem_free(session);
}

static uint32_t
find_value(const struct sequence_session *session, oid_t oid)
{
    uint32_t i = 0;
    while (i < session->count && session->values[i].oid != oid) {
        i++;
    }
    return i;
}

static void
remember(struct sequence_session *session, oid_t oid, int64_t value, bool is_last)
{
    uint32_t i = find_value(session, oid);
    if (i == session->count) {
        if (session->count == session->capacity) {
            session->capacity = session->capacity == 0 ? 8 : session->capacity * 2;
            session->values =
                mem_realloc(session->values, session->capacity * sizeof *session->values);
        }
        session->values[session->count++].oid = oid;
    }
    session->values[i].value = value;
    if (is_last) {
        session->last = i + 1;
    }
}

/* ---- the state --------------------------------------------------------------------------------
 */

/* Of the definition's generation; made if it is not there. Lives as long as the store. */
static struct sequence_state *
state_of(struct catalog_store *store, const struct relation *relation)
{
    uint64_t generation = relation->sequence->generation;
    size_t bucket = hash_u64(generation) % CATALOG_SEQUENCE_BUCKETS;
    latch_acquire(&store->latch);
    struct sequence_state *state = store->sequences[bucket];
    while (state != NULL && (state->generation != generation || state->oid != relation->oid)) {
        state = state->chain;
    }
    if (state == NULL) {
        state = mem_zalloc(sizeof *state);
        state->oid = relation->oid;
        state->generation = generation;
        state->block = BLOCK_MIN;
        state->chain = store->sequences[bucket];
        store->sequences[bucket] = state;
    }
    latch_release(&store->latch);
    return state;
}

void
catalog__sequences_destroy(struct catalog_store *store)
{
    for (size_t i = 0; i < CATALOG_SEQUENCE_BUCKETS; i++) {
        while (store->sequences[i] != NULL) {
            struct sequence_state *state = store->sequences[i];
            store->sequences[i] = state->chain;
            mem_free(state);
        }
    }
}

/* Under the latch: a value of the block, if there is one. */
static bool
take_reserved(struct sequence_state *state, int64_t increment, int64_t *value)
{
    if (state->left == 0) {
        return false;
    }
    *value = state->next;
    if (--state->left > 0) {
        state->next += increment; /* within the bounds: it was reserved */
    }
    state->last = *value;
    state->called = true;
    return true;
}

/* The state is this task's to change, until `release`. With a value from the block, if there was
 * one after all (*value; then it is not held). */
static enum err
hold(struct task *task, struct catalog_store *store, struct sequence_state *state,
    const int64_t *increment, int64_t *value, bool *taken, struct diag *diag)
{
    for (;;) {
        latch_acquire(&store->latch);
        *taken = increment != NULL && take_reserved(state, *increment, value);
        bool held = !*taken && !state->busy;
        state->busy = state->busy || held;
        latch_release(&store->latch);
        if (*taken || held) {
            return ERR_OK;
        }
        TRY(task_interrupted(task, diag));
        task_sleep(task, POLL_US); /* somebody's commit is under way */
    }
}

static void
release(struct catalog_store *store, struct sequence_state *state)
{
    latch_acquire(&store->latch);
    state->busy = false;
    latch_release(&store->latch);
}

/* ---- its row ----------------------------------------------------------------------------------
 */

struct row_state {
    int64_t value;
    bool called;
};

static void
put_key(const struct relation *relation, struct buffer *key)
{
    buffer_add(key, "sequence", strlen("sequence"));
    buffer_add_be32(key, relation->oid);
    buffer_add_be64(key, relation->sequence->generation);
}

static enum err
decode(struct slice bytes, struct row_state *state, struct diag *diag)
{
    if (bytes.size != STATE_SIZE || bytes.data[0] != STATE_VERSION) {
        return diag_set(diag, ERR_CORRUPT, "state of a sequence is damaged");
    }
    state->value = (int64_t)load_be64(bytes.data + 1);
    state->called = bytes.data[9] != 0;
    return ERR_OK;
}

/* What the row becomes, from what it is. */
typedef enum err next_state(void *arg, struct row_state *state, struct diag *diag);

/* In a transaction of its own: `change` NULL only looks. */
static enum err
with_row(struct task *task, struct txn *txn, const struct relation *relation, next_state *change,
    void *arg, struct row_state *state, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "sequence");
    struct buffer key_bytes = {0}, value = {0};
    put_key(relation, &key_bytes);
    struct slice key = slice_of(key_bytes.data, key_bytes.size);
    tree_id_t tree = catalog__tree(CATALOG_TREE_COUNTERS);
    struct txn_snapshot snapshot = txn_statement_begin(txn);
    struct txn_row row = {0};
    bool found = false;
    *state = (struct row_state){relation->sequence->last, relation->sequence->called};
    enum err err = txn_get(task, txn, snapshot, tree, key, &arena, &row, &found, diag);
    if (err == ERR_OK && found) {
        err = decode(row.value, state, diag);
    }
    if (err == ERR_OK && change != NULL) {
        err = change(arg, state, diag);
    }
    if (err == ERR_OK && change != NULL) {
        buffer_add_u8(&value, STATE_VERSION);
        buffer_add_be64(&value, (uint64_t)state->value);
        buffer_add_u8(&value, state->called);
        struct slice bytes = slice_of(value.data, value.size);
        struct txn_row latest;
        enum txn_outcome outcome = TXN_DONE;
        err = found ? txn_update(task, txn, snapshot, tree, key, row.version, bytes, &arena,
                          &latest, &outcome, diag)
                    : txn_insert(task, txn, tree, key, bytes, NULL, NULL, diag);
        if (err == ERR_UNIQUE || (err == ERR_OK && outcome != TXN_DONE)) {
            /* Only who holds the state writes its row. */
            err = diag_set(diag, ERR_INTERNAL, "state of a sequence changed concurrently");
        }
    }
    buffer_destroy(&value);
    buffer_destroy(&key_bytes);
    arena_destroy(&arena);
    return err;
}

static enum err
change_row(struct task *task, struct catalog_store *store, const struct relation *relation,
    next_state *change, void *arg, struct row_state *state, struct diag *diag)
{
    struct txn *txn = txn_new(store->db, 0);
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
    if (err == ERR_OK) {
        err = with_row(task, txn, relation, change, arg, state, diag);
        if (err != ERR_OK) {
            txn_rollback(task, txn);
        } else {
            err = txn_commit(task, txn, diag); /* durable: the values may be given */
        }
    }
    txn_delete(task, txn);
    return err;
}

enum err
sequence_forget_state(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct relation *relation, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "sequence");
    struct buffer key_bytes = {0};
    put_key(relation, &key_bytes);
    struct slice key = slice_of(key_bytes.data, key_bytes.size);
    tree_id_t tree = catalog__tree(CATALOG_TREE_COUNTERS);
    struct txn_snapshot snapshot = catalog_newest_snapshot(store, txn);
    struct txn_row row = {0}, latest;
    bool found = false;
    enum txn_outcome outcome = TXN_DONE;
    enum err err = txn_get(task, txn, snapshot, tree, key, &arena, &row, &found, diag);
    if (err == ERR_OK && found) {
        err = txn_remove(
            task, txn, snapshot, tree, key, row.version, &arena, &latest, &outcome, diag);
    }
    buffer_destroy(&key_bytes);
    arena_destroy(&arena);
    return err;
}

/* ---- reserving --------------------------------------------------------------------------------
 */

struct reserve {
    const struct relation *relation;
    uint32_t wanted;
    int64_t first;
    uint32_t count;
};

static enum err
limit_reached(const struct relation *relation, struct diag *diag)
{
    const struct sequence *sequence = relation->sequence;
    bool up = sequence->increment > 0;
    return diag_set(diag, ERR_SEQUENCE_LIMIT, "nextval: reached %s value of sequence \"%s\" (%lld)",
        up ? "maximum" : "minimum", relation->name,
        (long long)(up ? sequence->maximum : sequence->minimum));
}

static enum err
reserve_block(void *arg, struct row_state *state, struct diag *diag)
{
    struct reserve *reserve = arg;
    const struct sequence *sequence = reserve->relation->sequence;
    int64_t first = state->value;
    if (state->called) {
        bool over = __builtin_add_overflow(state->value, sequence->increment, &first) ||
                    first > sequence->maximum || first < sequence->minimum;
        if (over && !sequence->cycle) {
            return limit_reached(reserve->relation, diag);
        }
        if (over) {
            first = sequence->increment > 0 ? sequence->minimum : sequence->maximum;
        }
    }
    int64_t last = first;
    uint32_t count = 1;
    while (count < reserve->wanted) {
        int64_t next;
        if (__builtin_add_overflow(last, sequence->increment, &next) || next > sequence->maximum ||
            next < sequence->minimum) {
            break;
        }
        last = next;
        count++;
    }
    reserve->first = first;
    reserve->count = count;
    *state = (struct row_state){last, true};
    return ERR_OK;
}

static enum err
reserve(struct task *task, struct catalog_store *store, const struct relation *relation,
    struct sequence_state *state, int64_t *value, struct diag *diag)
{
    int64_t now = world_clock_us(task_world(task));
    uint32_t block = state->block;
    if (state->reserved_at != 0 && now - state->reserved_at < BLOCK_QUICK_US) {
        block = block >= BLOCK_MAX ? BLOCK_MAX : block * 2;
    } else {
        block = BLOCK_MIN;
    }
    struct reserve reserve = {.relation = relation, .wanted = block};
    struct row_state row;
    enum err err = change_row(task, store, relation, reserve_block, &reserve, &row, diag);
    latch_acquire(&store->latch);
    state->busy = false;
    if (err == ERR_OK) {
        state->loaded = true;
        state->block = block;
        state->reserved_at = now;
        state->next = reserve.first;
        state->left = reserve.count;
        (void)take_reserved(state, relation->sequence->increment, value);
    }
    latch_release(&store->latch);
    return err;
}

/* ---- what the functions do --------------------------------------------------------------------
 */

/* The sequence, locked, as it is then: it may have been altered while we waited. *fresh is what the
 * definition is part of, if not the statement's own catalog: `leave` gives it back. */
static enum err
enter(struct eval *eval, const struct relation **relation, const char *function, bool writes,
    struct catalog **fresh)
{
    *fresh = NULL;
    struct sequence_session *session = eval->env->sequences;
    if (session == NULL) {
        return diag_set(
            eval->diag, ERR_FEATURE_NOT_SUPPORTED, "%s() is not possible here", function);
    }
    if (writes && txn_read_only(session->txn)) {
        return diag_set(eval->diag, ERR_READ_ONLY_TRANSACTION,
            "cannot execute %s() in a read-only transaction", function);
    }
    oid_t oid = (*relation)->oid;
    TRY(txn_lock_table(
        eval->task, session->txn, oid, (*relation)->name, TXN_ROW_EXCLUSIVE, TXN_WAIT, eval->diag));
    if (catalog_is_current(eval->env->catalog, session->store, session->txn)) {
        return ERR_OK;
    }
    TRY(catalog_get(eval->task, session->store, session->txn, fresh, eval->diag));
    *relation = catalog_relation_by_oid(*fresh, oid);
    if (*relation == NULL || (*relation)->kind != RELATION_SEQUENCE) {
        catalog_release(*fresh);
        *fresh = NULL;
        return diag_set(
            eval->diag, ERR_UNDEFINED_TABLE, "could not open relation with OID %u", oid);
    }
    return ERR_OK;
}

static void
leave(struct catalog *fresh)
{
    if (fresh != NULL) {
        catalog_release(fresh);
    }
}

static enum err
next_value(struct eval *eval, const struct relation *relation, int64_t *value)
{
    struct sequence_session *session = eval->env->sequences;
    struct catalog_store *store = session->store;
    struct sequence_state *state = state_of(store, relation);
    bool taken = false;
    TRY(hold(eval->task, store, state, &relation->sequence->increment, value, &taken, eval->diag));
    if (!taken) {
        TRY(reserve(eval->task, store, relation, state, value, eval->diag));
    }
    remember(session, relation->oid, *value, true);
    return ERR_OK;
}

enum err
sequence_next(struct eval *eval, const struct relation *relation, int64_t *value)
{
    struct catalog *fresh;
    TRY(enter(eval, &relation, "nextval", true, &fresh));
    enum err err = next_value(eval, relation, value);
    leave(fresh);
    return err;
}

enum err
sequence_current(struct eval *eval, const struct relation *relation, int64_t *value)
{
    struct catalog *fresh;
    TRY(enter(eval, &relation, "currval", false, &fresh));
    const struct sequence_session *session = eval->env->sequences;
    enum err err = ERR_OK;
    uint32_t i = find_value(session, relation->oid);
    if (i == session->count) {
        err = diag_set(eval->diag, ERR_OBJECT_STATE,
            "currval of sequence \"%s\" is not yet defined in this session", relation->name);
    } else {
        *value = session->values[i].value;
    }
    leave(fresh);
    return err;
}

enum err
sequence_last(struct eval *eval, int64_t *value)
{
    const struct sequence_session *session = eval->env->sequences;
    bool known =
        session != NULL && session->last != 0 &&
        catalog_relation_by_oid(eval->env->catalog, session->values[session->last - 1].oid) != NULL;
    if (!known) {
        return diag_set(eval->diag, ERR_OBJECT_STATE, "lastval is not yet defined in this session");
    }
    *value = session->values[session->last - 1].value;
    return ERR_OK;
}

static enum err
set_state(void *arg, struct row_state *state, struct diag *diag)
{
    (void)diag;
    *state = *(const struct row_state *)arg;
    return ERR_OK;
}

static enum err
set_value(struct eval *eval, const struct relation *relation, int64_t value, bool called)
{
    const struct sequence *sequence = relation->sequence;
    if (value < sequence->minimum || value > sequence->maximum) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE,
            "setval: value %lld is out of bounds for sequence \"%s\" (%lld..%lld)",
            (long long)value, relation->name, (long long)sequence->minimum,
            (long long)sequence->maximum);
    }
    struct sequence_session *session = eval->env->sequences;
    struct catalog_store *store = session->store;
    struct sequence_state *state = state_of(store, relation);
    struct row_state row = {value, called}, written;
    bool taken;
    TRY(hold(eval->task, store, state, NULL, NULL, &taken, eval->diag));
    enum err err = change_row(eval->task, store, relation, set_state, &row, &written, eval->diag);
    latch_acquire(&store->latch);
    state->busy = false;
    if (err == ERR_OK) {
        state->loaded = true;
        state->left = 0;
        state->last = value;
        state->called = called;
    }
    latch_release(&store->latch);
    TRY(err);
    if (called) {
        remember(session, relation->oid, value, false);
    }
    return ERR_OK;
}

enum err
sequence_set(struct eval *eval, const struct relation *relation, int64_t value, bool called)
{
    struct catalog *fresh;
    TRY(enter(eval, &relation, "setval", true, &fresh));
    enum err err = set_value(eval, relation, value, called);
    leave(fresh);
    return err;
}

enum err
sequence_look(struct task *task, struct catalog_store *store, const struct relation *relation,
    int64_t *value, bool *called, struct diag *diag)
{
    struct sequence_state *state = state_of(store, relation);
    latch_acquire(&store->latch);
    bool known = state->loaded;
    *value = state->last;
    *called = state->called;
    latch_release(&store->latch);
    if (known) {
        return ERR_OK;
    }
    struct row_state row;
    bool taken;
    TRY(hold(task, store, state, NULL, NULL, &taken, diag));
    enum err err = change_row(task, store, relation, NULL, NULL, &row, diag);
    release(store, state);
    *value = row.value;
    *called = row.called;
    return err;
}
