/*
 * sql/session/moves.c - a bucket on its way from one node to another: what its mover asks of both.
 *
 * The mover (shard/move.h) has a session with each. Here is what each of them does; in which order,
 * and why nothing is lost or there twice, stands there. What lives longer than a session is the
 * bucket's state alone (sql/catalog/buckets.h): if the mover or its connection dies, locks, notes
 * of changes and rows that had come in are gone with the session, and it begins anew.
 *
 *     at the node that has it, out of a transaction block
 *     tusk_send_begin(group, bucket, attempt)   from here on what changes is noted
 *     tusk_send_rows()                          the rows, piece by piece; null at the end
 *     tusk_send_changes()                       what has changed since; null: nothing at the moment
 *     tusk_send_verify()                        reads all rows for the checksum, which is kept from
 *                                               here on
 *     tusk_send_stop(node)                      no more writes (HANDING); waits for those at work
 *     tusk_send_sum()                           number and checksum of the rows, by then
 *     tusk_send_decided(epoch)                  neither read nor written here any more (SENT)
 *     tusk_send_end()                           lets go of locks and notes
 *     tusk_send_forget(group, bucket, attempt, hlc)   rows away (GONE), after the other has it
 *     tusk_send_abort(group, bucket, attempt)   it stays (OWNED)
 *
 *     at the node that gets it, in one transaction block
 *     tusk_receive_begin(group, bucket, attempt)
 *     tusk_receive_rows(bytes)
 *     tusk_receive_verify()
 *     tusk_receive_sum()
 *     tusk_receive_own(epoch, hlc)              it is ours (OWNED) if this transaction commits
 *
 * Pieces are records: 'T' be16 number, be16 size, name of a table, be64 digest of its columns, be64
 * of the scheme; 'P' be16 table, be32 size, key, be32 size, row; 'D' be16 table, be32 size, key;
 * 'K' be32 size, an idempotency key (idempotency_moves.c).
 *
 * The checksum is a sum of rows' hashes, so a row can be taken out of it and put in. Who sends
 * reads all rows at one snapshot (VERIFIED), which stays readable: of each row noted since, what it
 * was at that snapshot goes out, and in the end what it is comes in. Who receives does so at each
 * change, by what is stored before and after. So neither believes what was sent, and the stop reads
 * rows that have changed since, not all. Of idempotency keys it is the number and a sum of those
 * sent, and of those of them that are stored: what a node has of them at a moment cannot be
 * compared, as their time ends meanwhile.
 *
 * An attempt's number is greater than all before; who begins ends the sessions of older ones, and a
 * state that a newer one has written is not changed by an older.
 */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "sql/catalog/buckets.h"
#include "sql/session/idempotency_internal.h"

enum {
    PIECE_SIZE = 256 * 1024,
    TABLES_MAX = 4096,
    STOP_TIMEOUT_US = 100 * 1000, /* who writes meanwhile waits, too; twice as long each time */
    STOP_TIMEOUT_US_MAX = 2 * 1000 * 1000,
    NOTED_SIZE_MAX = 256 * 1024 * 1024,
};

struct sum {
    uint64_t rows, low, high;
};

/* Changed since the sum's snapshot. */
struct noted_key {
    size_t table;
    struct slice key;
};

struct session_move {
    struct session_move *next; /* engine->moves */
    struct sql_session *session;
    bool sends;
    struct bucket_group *group;
    char *name;
    uint32_t bucket;
    uint64_t attempt;
    const char *phase;
    _Atomic uint64_t rows, bytes, rounds;

    struct catalog *catalog; /* held */
    const struct relation **tables;
    size_t table_count;
    struct txn *guard; /* tables as they are; once stopped: the bucket alone */
    struct bucket_capture *capture;
    size_t at;          /* table being read */
    struct buffer last; /* key */
    bool past_first;
    struct key_move keys;

    bool verified; /* the sum is kept */
    struct sum sum;
    /* who sends: */
    struct txn *frozen; /* keeps the sum's snapshot readable */
    struct txn_snapshot snapshot;
    struct arena noted_arena;
    struct noted_key *noted; /* in the order in which they came */
    size_t noted_count, noted_capacity;
    uint32_t
        *noted_slots; /* of the next power of two; 0: empty, else a number in `noted`, plus 1 */
    size_t noted_slot_count;
    int64_t stop_timeout_us;
};

/* ---- words ----------------------------------------------------------------------------------- */

static char *
text_of(struct eval *eval, struct datum datum)
{
    return arena_strndup(eval->arena, (const char *)datum.p, datum.size);
}

static struct datum
bytes_datum(struct eval *eval, struct buffer *bytes)
{
    struct datum datum =
        datum_bytes(arena_copy(eval->arena, bytes->data, bytes->size), bytes->size);
    buffer_destroy(bytes);
    return datum;
}

static enum err
move_of(struct eval *eval, bool sends, struct sql_session **session, struct session_move **move)
{
    TRY(buckets__superuser(eval, session));
    *move = (*session)->move;
    return *move != NULL && (*move)->sends == sends
               ? ERR_OK
               : diag_set(eval->diag, ERR_OBJECT_STATE, "no bucket is being moved in this session");
}

static struct txn_snapshot
newest(const struct sql_session *session)
{
    return (struct txn_snapshot){
        .lsn = txn_db_visible_lsn(session->engine->db), .command = UINT32_MAX};
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void
end_txn(struct task *task, struct txn **txn)
{
    if (*txn != NULL) {
        if (txn_state(*txn) == TXN_ACTIVE) {
            txn_rollback(task, *txn);
        }
        txn_delete(task, *txn);
        *txn = NULL;
    }
}

void
moves__end(struct task *task, struct sql_session *session)
{
    struct session_move *move = session->move;
    if (move == NULL) {
        return;
    }
    session->move = NULL;
    struct sql_engine *engine = session->engine;
    latch_acquire(&engine->moves_latch);
    struct session_move **link = &engine->moves;
    while (*link != move) {
        link = &(*link)->next;
    }
    *link = move->next;
    latch_release(&engine->moves_latch);
    if (move->capture != NULL) {
        buckets_capture_end(move->capture);
    }
    end_txn(task, &move->guard);
    end_txn(task, &move->frozen);
    arena_destroy(&move->noted_arena);
    mem_free(move->noted);
    mem_free(move->noted_slots);
    catalog_release(move->catalog);
    buffer_destroy(&move->last);
    buffer_destroy(&move->keys.last);
    mem_free(move->tables);
    mem_free(move->name);
    mem_free(move);
}

static enum err
find_tables(struct eval *eval, struct session_move *move)
{
    move->tables = mem_array(TABLES_MAX, sizeof(void *));
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(move->catalog, i)) != NULL; i++) {
        if (relation->sharding == NULL || strcmp(relation->sharding->group, move->name) != 0 ||
            relation->sharding->ownership == NULL) {
            continue;
        }
        if (move->table_count == TABLES_MAX) {
            return diag_set(eval->diag, ERR_PROGRAM_LIMIT, "too many tables in one group");
        }
        move->tables[move->table_count++] = relation;
    }
    move->keys.catalog = move->catalog;
    if (move->table_count == 0 || move->bucket >= move->tables[0]->sharding->scheme.bucket_count) {
        return diag_set(eval->diag, ERR_UNDEFINED_OBJECT, "there is no bucket %u of \"%s\"",
            move->bucket, move->name);
    }
    return ERR_OK;
}

/* Definitions stand still from here on; the picture is the one they are known by. */
static enum err
lock_tables(struct eval *eval, struct session_move *move, struct txn *txn, enum txn_table_lock mode)
{
    struct sql_session *session = move->session;
    for (;;) {
        TRY(catalog_get(
            eval->task, session->engine->catalogs, session->txn, &move->catalog, eval->diag));
        TRY(find_tables(eval, move));
        for (size_t i = 0; i < move->table_count; i++) {
            TRY(txn_lock_table(eval->task, txn, move->tables[i]->oid, move->tables[i]->name, mode,
                TXN_WAIT, eval->diag));
        }
        if (catalog_is_current(move->catalog, session->engine->catalogs, session->txn)) {
            return ERR_OK;
        }
        catalog_release(move->catalog);
        mem_free(move->tables);
        move->catalog = NULL;
        move->tables = NULL;
        move->table_count = 0;
    }
}

/* Sessions of older attempts are ended; a newer one is not disturbed. */
static enum err
supersede(struct eval *eval, struct sql_session *session, const char *name, uint32_t bucket,
    uint64_t attempt)
{
    struct sql_engine *engine = session->engine;
    for (;;) {
        bool newer = false, older = false;
        latch_acquire(&engine->moves_latch);
        for (struct session_move *at = engine->moves; at != NULL; at = at->next) {
            if (at->bucket == bucket && strcmp(at->name, name) == 0) {
                newer = newer || at->attempt >= attempt;
                older = older || at->attempt < attempt;
                if (at->attempt < attempt) {
                    task_interrupt(at->session->task, TASK_TERMINATE);
                }
            }
        }
        latch_release(&engine->moves_latch);
        if (newer) {
            return diag_set(eval->diag, ERR_OBJECT_IN_USE,
                "bucket %u of \"%s\" is being moved by another attempt", bucket, name);
        }
        if (!older) {
            return ERR_OK;
        }
        TRY(task_interrupted(eval->task, eval->diag));
        task_park(eval->task, world_clock_us(engine->world) + 5 * 1000);
    }
}

static enum err
begin(struct eval *eval, const struct datum *args, bool sends, struct session_move **move_out)
{
    struct sql_session *session;
    TRY(buckets__superuser(eval, &session));
    if (session->move != NULL) {
        moves__end(eval->task, session);
    }
    if (args[1].i < 0 || args[1].i >= SHARD_BUCKETS_MAX) {
        return diag_set(eval->diag, ERR_UNDEFINED_OBJECT, "there is no such bucket");
    }
    const char *name = text_of(eval, args[0]);
    TRY(supersede(eval, session, name, (uint32_t)args[1].i, (uint64_t)args[2].i));
    struct sql_engine *engine = session->engine;
    struct session_move *move = mem_zalloc(sizeof *move);
    move->session = session;
    move->sends = sends;
    move->name = mem_strdup(name);
    move->bucket = (uint32_t)args[1].i;
    move->attempt = (uint64_t)args[2].i;
    move->keys = (struct key_move){.session = session, .group = move->name, .bucket = move->bucket};
    move->phase = "begins";
    move->stop_timeout_us = STOP_TIMEOUT_US;
    arena_create(&move->noted_arena, "bucket");
    move->group = buckets_group(engine->catalogs, name);
    session->move = move;
    latch_acquire(&engine->moves_latch);
    move->next = engine->moves;
    engine->moves = move;
    latch_release(&engine->moves_latch);
    *move_out = move;
    return ERR_OK;
}

static enum err
state_of(struct eval *eval, struct session_move *move, struct bucket_record *record)
{
    struct sql_session *session = move->session;
    return buckets_get(eval->task, session->engine->catalogs, session->txn, move->group,
        move->bucket, eval->arena, record, eval->diag);
}

static enum err
put_state(struct eval *eval, struct session_move *move, enum bucket_state state, uint64_t epoch,
    const char *node)
{
    struct bucket_record record = {
        .state = state, .epoch = epoch, .attempt = move->attempt, .node = node};
    struct sql_session *session = move->session;
    return buckets_put(eval->task, session->engine->catalogs, session->txn, move->group,
        move->bucket, &record, eval->diag);
}

static enum err
wrong_state(struct eval *eval, const struct session_move *move, const struct bucket_record *record)
{
    return diag_set(eval->diag, ERR_OBJECT_STATE,
        "bucket %u of \"%s\" is %s by attempt %llu, which does not go with this of attempt %llu",
        move->bucket, move->name, bucket_state_name(record->state),
        (unsigned long long)record->attempt, (unsigned long long)move->attempt);
}

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

/* ---- pieces ---------------------------------------------------------------------------------- */

static uint64_t
digest(const struct relation *relation)
{
    uint64_t hash = relation->column_count;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        hash = hash64(column->name, strlen(column->name), hash + column->dropped);
        hash = hash64(&column->type, sizeof column->type, hash);
    }
    return hash;
}

/* Which values are in which bucket: another after a SPLIT. */
static uint64_t
scheme_digest(const struct relation *relation)
{
    const struct shard_scheme *scheme = &relation->sharding->scheme;
    uint64_t hash = scheme->bucket_count;
    for (size_t i = 0; i < scheme->entry_count; i++) {
        hash = hash64(scheme->entries[i].key.data, scheme->entries[i].key.size, hash);
        hash = hash64(&scheme->entries[i].bucket, sizeof scheme->entries[i].bucket, hash);
    }
    return hash;
}

static void
put_heads(const struct session_move *move, struct buffer *to)
{
    for (size_t i = 0; i < move->table_count; i++) {
        const struct relation *table = move->tables[i];
        size_t schema = strlen(table->schema_name), name = strlen(table->name);
        buffer_add_u8(to, 'T');
        buffer_add_be16(to, (uint16_t)i);
        buffer_add_be16(to, (uint16_t)(schema + 1 + name));
        buffer_add(to, table->schema_name, schema);
        buffer_add_u8(to, '\0');
        buffer_add(to, table->name, name);
        buffer_add_be64(to, digest(table));
        buffer_add_be64(to, scheme_digest(table));
    }
}

static void
put_record(struct buffer *to, uint8_t kind, size_t table, struct slice key, const struct slice *row)
{
    buffer_add_u8(to, kind);
    buffer_add_be16(to, (uint16_t)table);
    buffer_add_be32(to, (uint32_t)key.size);
    buffer_add(to, key.data, key.size);
    if (row != NULL) {
        buffer_add_be32(to, (uint32_t)row->size);
        buffer_add(to, row->data, row->size);
    }
}

/* Is the row of the bucket? */
static enum err
belongs(struct eval *eval, const struct session_move *move, const struct relation *table,
    struct slice row, struct buffer *key, bool *belongs)
{
    struct datum value;
    bool missing;
    uint32_t bucket;
    const struct sharding *sharding = table->sharding;
    TRY(row_column(table->layout, row, sharding->column, &value, &missing, eval->diag));
    key->size = 0;
    key_encode(key, table->columns[sharding->column].type, value, 0);
    *belongs = shard_bucket(&sharding->scheme, slice_of(key->data, key->size), &bucket) &&
               bucket == move->bucket;
    return ERR_OK;
}

typedef enum err each_row(void *arg, struct eval *eval, const struct session_move *move,
    size_t table, const struct txn_row *row, bool *enough);

/* The rows of the bucket in move->tables[at], from behind move->last on. */
static enum err
scan_table(struct eval *eval, struct session_move *move, struct txn_snapshot snapshot,
    each_row *each, void *arg, bool *enough)
{
    const struct relation *table = move->tables[move->at];
    struct arena arena;
    struct buffer scratch = {0};
    struct txn_scan *scan = NULL;
    struct txn_range range = {
        .low = slice_of(move->last.data, move->last.size),
        .has_low = move->past_first,
        .low_exclusive = true,
    };
    arena_create(&arena, "bucket");
    enum err err = txn_scan_open(eval->task, move->session->txn, snapshot, table->tree, &range,
        false, &arena, &scan, eval->diag);
    while (err == ERR_OK && !*enough) {
        struct txn_row row;
        bool found, ours = false;
        err = txn_scan_next(eval->task, scan, &row, &found, eval->diag);
        if (err != ERR_OK || !found) {
            break;
        }
        err = belongs(eval, move, table, row.value, &scratch, &ours);
        if (err == ERR_OK && ours) {
            err = each(arg, eval, move, move->at, &row, enough);
            move->last.size = 0;
            buffer_add(&move->last, row.key.data, row.key.size);
            move->past_first = true;
        }
        err = err == ERR_OK ? task_breathe(eval->task, eval->diag) : err;
    }
    if (scan != NULL) {
        txn_scan_close(eval->task, scan);
    }
    buffer_destroy(&scratch);
    arena_destroy(&arena);
    return err;
}

static enum err
scan_bucket(struct eval *eval, struct session_move *move, struct txn_snapshot snapshot,
    each_row *each, void *arg)
{
    bool enough = false;
    while (!enough && move->at < move->table_count) {
        TRY(scan_table(eval, move, snapshot, each, arg, &enough));
        if (!enough) {
            move->at++;
            move->past_first = false;
        }
    }
    return ERR_OK;
}

static void
rewind_scan(struct session_move *move)
{
    move->at = 0;
    move->past_first = false;
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* Columns one by one: two nodes may store the same row in other bytes (a column added later). */
static enum err
sum_row(struct eval *eval, const struct session_move *move, size_t table, struct slice key,
    struct slice row, bool comes, struct sum *sum)
{
    const struct relation *relation = move->tables[table];
    struct arena_mark mark = arena_mark(eval->arena);
    struct buffer bytes = {0};
    uint16_t *all = arena_array(eval->arena, relation->column_count, sizeof *all);
    struct datum *values = arena_array(eval->arena, relation->column_count, sizeof *values);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        all[i] = i;
    }
    enum err err =
        row_decode(relation->layout, row, all, relation->column_count, values, eval->diag);
    if (err == ERR_OK) {
        row_encode(relation->layout, values, &bytes);
        uint64_t low = hash64(key.data, key.size, table);
        low = hash64(bytes.data, bytes.size, low);
        uint64_t high = hash64(key.data, key.size, ~low);
        sum->rows += comes ? 1 : UINT64_MAX;
        sum->low += comes ? low : 0 - low;
        sum->high += comes ? high : 0 - high;
    }
    buffer_destroy(&bytes);
    arena_rewind(eval->arena, mark);
    return err;
}

static enum err
add_to_sum(void *arg, struct eval *eval, const struct session_move *move, size_t table,
    const struct txn_row *row, bool *enough)
{
    (void)enough;
    return sum_row(eval, move, table, row->key, row->value, true, arg);
}

/* The row of this key, as the snapshot has it, if it does: into the sum or out of it. */
static enum err
sum_key(struct eval *eval, struct session_move *move, struct txn_snapshot snapshot, size_t table,
    struct slice key, bool comes, struct sum *sum)
{
    struct arena_mark mark = arena_mark(eval->arena);
    struct buffer scratch = {0};
    struct txn_row row;
    bool found, ours = false;
    enum err err = txn_get(eval->task, move->session->txn, snapshot, move->tables[table]->tree, key,
        eval->arena, &row, &found, eval->diag);
    if (err == ERR_OK && found) {
        err = belongs(eval, move, move->tables[table], row.value, &scratch, &ours);
    }
    if (err == ERR_OK && ours) {
        err = sum_row(eval, move, table, key, row.value, comes, sum);
    }
    buffer_destroy(&scratch);
    arena_rewind(eval->arena, mark);
    return err;
}

/* All rows there are, once. */
static enum err
verify(struct eval *eval, struct session_move *move, struct txn_snapshot snapshot)
{
    move->sum = (struct sum){0};
    rewind_scan(move);
    TRY(scan_bucket(eval, move, snapshot, add_to_sum, &move->sum));
    move->verified = true;
    return ERR_OK;
}

static struct datum
sum_text(struct eval *eval, const struct sum *sum, const struct key_move *keys)
{
    char *text = arena_printf(eval->arena, "%llu rows %016llx%016llx, %llu keys %016llx",
        (unsigned long long)sum->rows, (unsigned long long)sum->high, (unsigned long long)sum->low,
        (unsigned long long)keys->keys, (unsigned long long)keys->sum);
    return datum_bytes(text, strlen(text));
}

/* ---- keys noted since the sum's snapshot ------------------------------------------------------
 */

static uint32_t *
noted_slot(const struct session_move *move, size_t table, struct slice key)
{
    size_t at = (size_t)hash64(key.data, key.size, table) & (move->noted_slot_count - 1);
    for (;; at = (at + 1) & (move->noted_slot_count - 1)) {
        uint32_t *slot = &move->noted_slots[at];
        if (*slot == 0 || (move->noted[*slot - 1].table == table &&
                              slice_equal(move->noted[*slot - 1].key, key))) {
            return slot;
        }
    }
}

static void
noted_grow(struct session_move *move)
{
    move->noted_capacity = move->noted_capacity == 0 ? 256 : move->noted_capacity * 2;
    move->noted = mem_realloc(move->noted, move->noted_capacity * sizeof *move->noted);
    mem_free(move->noted_slots);
    move->noted_slot_count = 2 * move->noted_capacity;
    move->noted_slots = mem_array(move->noted_slot_count, sizeof *move->noted_slots);
    for (size_t i = 0; i < move->noted_count; i++) {
        *noted_slot(move, move->noted[i].table, move->noted[i].key) = (uint32_t)i + 1;
    }
}

/* When it is noted for the first time: what it was goes out of the sum. */
static enum err
note_key(struct eval *eval, struct session_move *move, size_t table, struct slice key)
{
    if (move->noted_count == move->noted_capacity) {
        noted_grow(move);
    }
    uint32_t *slot = noted_slot(move, table, key);
    if (*slot != 0) {
        return ERR_OK;
    }
    if (arena_used(&move->noted_arena) > NOTED_SIZE_MAX) {
        return diag_set(eval->diag, ERR_LIMIT, "too much is written in bucket %u while it is moved",
            move->bucket);
    }
    TRY(sum_key(eval, move, move->snapshot, table, key, false, &move->sum));
    move->noted[move->noted_count] = (struct noted_key){
        .table = table,
        .key = slice_of(arena_copy(&move->noted_arena, key.data, key.size), key.size),
    };
    *slot = (uint32_t)++move->noted_count;
    return ERR_OK;
}

/* ---- sending --------------------------------------------------------------------------------- */

static enum err
start_sending(struct eval *eval, struct session_move *move)
{
    struct sql_engine *engine = move->session->engine;
    move->guard = txn_new(engine->db, sql_session_pid(move->session));
    TRY(txn_begin(eval->task, move->guard, TXN_READ_COMMITTED, true, eval->diag));
    TRY(lock_tables(eval, move, move->guard, TXN_ACCESS_SHARE));
    return buckets_capture(
        eval->task, engine->catalogs, move->group, move->bucket, &move->capture, eval->diag);
}

FN(send_begin)
{
    (void)count;
    struct session_move *move;
    struct bucket_record record;
    TRY(begin(eval, args, true, &move));
    enum err err = state_of(eval, move, &record);
    bool here = record.state == BUCKET_OWNED || record.state == BUCKET_HANDING ||
                record.state == BUCKET_SENT;
    if (err == ERR_OK && here) {
        err = start_sending(eval, move);
    }
    if (err != ERR_OK) {
        moves__end(eval->task, eval->env->session);
        return err;
    }
    move->phase = "copies";
    const char *name = bucket_state_name(record.state);
    *result = datum_bytes(name, strlen(name));
    return ERR_OK;
}

struct sent {
    struct buffer piece;
    uint64_t rows;
};

static enum err
send_row(void *arg, struct eval *eval, const struct session_move *move, size_t table,
    const struct txn_row *row, bool *enough)
{
    (void)eval;
    (void)move;
    struct sent *sent = arg;
    struct buffer *to = &sent->piece;
    sent->rows++;
    put_record(to, 'P', table, row->key, &row->value);
    *enough = to->size >= PIECE_SIZE;
    return ERR_OK;
}

static void
put_key(struct buffer *to, struct slice record)
{
    buffer_add_u8(to, 'K');
    buffer_add_be32(to, (uint32_t)record.size);
    buffer_add(to, record.data, record.size);
}

/* After the rows. */
static enum err
send_keys(struct eval *eval, struct session_move *move, struct datum *result)
{
    struct buffer piece = {0};
    enum err err = move->keys.sent_all ? ERR_OK
                                       : idempotency__send(eval->task, &move->keys, PIECE_SIZE,
                                             put_key, &piece, eval->diag);
    if (err != ERR_OK || piece.size == 0) {
        buffer_destroy(&piece);
        *result = datum_null();
        return err;
    }
    atomic_fetch_add(&move->bytes, piece.size);
    *result = bytes_datum(eval, &piece);
    return ERR_OK;
}

FN(send_rows)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    struct session_move *move;
    TRY(move_of(eval, true, &session, &move));
    if (move->at == move->table_count) {
        return send_keys(eval, move, result);
    }
    struct sent sent = {0};
    put_heads(move, &sent.piece);
    enum err err = scan_bucket(eval, move, newest(session), send_row, &sent);
    if (err != ERR_OK) {
        buffer_destroy(&sent.piece);
        return err;
    }
    atomic_fetch_add(&move->rows, sent.rows);
    atomic_fetch_add(&move->bytes, sent.piece.size);
    *result = bytes_datum(eval, &sent.piece);
    return ERR_OK;
}

/* What the row is now. */
static enum err
send_change(struct eval *eval, struct session_move *move, struct txn_snapshot snapshot,
    const struct bucket_change *change, struct buffer *piece)
{
    if (change->relation == 0) {
        return idempotency__send_key(
            eval->task, &move->keys, change->key, put_key, piece, eval->diag);
    }
    size_t at = 0;
    while (at < move->table_count && move->tables[at]->oid != change->relation) {
        at++;
    }
    if (at == move->table_count) {
        return diag_set(eval->diag, ERR_INTERNAL, "a change of a table that is not moved");
    }
    struct arena_mark mark = arena_mark(eval->arena);
    struct buffer scratch = {0};
    struct txn_row row;
    bool found, ours = false;
    enum err err = txn_get(eval->task, move->session->txn, snapshot, move->tables[at]->tree,
        change->key, eval->arena, &row, &found, eval->diag);
    if (err == ERR_OK && found) {
        err = belongs(eval, move, move->tables[at], row.value, &scratch, &ours);
    }
    if (err == ERR_OK) {
        put_record(piece, ours ? 'P' : 'D', at, change->key, ours ? &row.value : NULL);
    }
    buffer_destroy(&scratch);
    arena_rewind(eval->arena, mark);
    return err == ERR_OK && move->verified ? note_key(eval, move, at, change->key) : err;
}

FN(send_changes)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    struct session_move *move;
    TRY(move_of(eval, true, &session, &move));
    struct bucket_change *changes;
    size_t change_count, open;
    TRY(buckets_captured(move->capture, eval->arena, &changes, &change_count, &open, eval->diag));
    atomic_fetch_add(&move->rounds, 1);
    if (change_count == 0) {
        *result = datum_null();
        return ERR_OK;
    }
    struct buffer piece = {0};
    put_heads(move, &piece);
    enum err err = ERR_OK;
    struct txn_snapshot now = newest(session); /* after buckets_captured */
    for (size_t i = 0; i < change_count && err == ERR_OK; i++) {
        err = send_change(eval, move, now, &changes[i], &piece);
        err = err == ERR_OK ? task_breathe(eval->task, eval->diag) : err;
    }
    if (err != ERR_OK) { /* the notes are gone: only a new beginning helps */
        buffer_destroy(&piece);
        moves__end(eval->task, session);
        return err;
    }
    atomic_fetch_add(&move->bytes, piece.size);
    *result = bytes_datum(eval, &piece);
    return ERR_OK;
}

FN(send_stop)
{
    (void)count;
    struct sql_session *session;
    struct session_move *move;
    struct bucket_record record;
    TRY(move_of(eval, true, &session, &move));
    txn_set_lock_timeout(move->guard, move->stop_timeout_us);
    move->stop_timeout_us = move->stop_timeout_us * 2 < STOP_TIMEOUT_US_MAX
                                ? move->stop_timeout_us * 2
                                : STOP_TIMEOUT_US_MAX;
    TRY(buckets_lock(eval->task, move->guard, move->group, move->bucket, true, eval->diag));
    move->phase = "stopped";
    TRY(state_of(eval, move, &record));
    *result = datum_int(0);
    if (record.state == BUCKET_SENT && record.attempt <= move->attempt) {
        return ERR_OK; /* stopped long since */
    }
    if (record.state != BUCKET_OWNED &&
        !(record.state == BUCKET_HANDING && record.attempt <= move->attempt)) {
        return wrong_state(eval, move, &record);
    }
    return put_state(eval, move, BUCKET_HANDING, record.epoch, text_of(eval, args[0]));
}

FN(send_verify)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    struct session_move *move;
    TRY(move_of(eval, true, &session, &move));
    end_txn(eval->task, &move->frozen);
    move->frozen = txn_new(session->engine->db, sql_session_pid(session));
    TRY(txn_begin(eval->task, move->frozen, TXN_REPEATABLE_READ, true, eval->diag));
    move->snapshot = txn_statement_begin(move->frozen);
    move->phase = "verifies";
    TRY(verify(eval, move, move->snapshot));
    move->phase = "follows";
    *result = datum_int(0);
    return ERR_OK;
}

FN(send_sum)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    struct session_move *move;
    struct bucket_change *changes;
    size_t change_count, open;
    TRY(move_of(eval, true, &session, &move));
    TRY(buckets_captured(move->capture, eval->arena, &changes, &change_count, &open, eval->diag));
    if (!move->verified || change_count > 0 || open > 0) {
        return diag_set(
            eval->diag, ERR_OBJECT_STATE, "the bucket has not been verified, or not stopped");
    }
    struct sum sum = move->sum;
    for (size_t i = 0; i < move->noted_count; i++) {
        TRY(sum_key(
            eval, move, newest(session), move->noted[i].table, move->noted[i].key, true, &sum));
        TRY(task_breathe(eval->task, eval->diag));
    }
    *result = sum_text(eval, &sum, &move->keys);
    return ERR_OK;
}

/* The answer is a stamp that is not below this commit's: the commit of who gets it is above. */
FN(send_decided)
{
    (void)count;
    struct sql_session *session;
    struct session_move *move;
    struct bucket_record record;
    TRY(move_of(eval, true, &session, &move));
    TRY(state_of(eval, move, &record));
    move->phase = "decided";
    *result = datum_int(0);
    if ((record.state != BUCKET_HANDING && record.state != BUCKET_SENT) ||
        record.attempt > move->attempt) {
        return wrong_state(eval, move, &record);
    }
    return put_state(eval, move, BUCKET_SENT, (uint64_t)args[0].i, record.node);
}

FN(send_end)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    TRY(buckets__superuser(eval, &session));
    moves__end(eval->task, session);
    *result = datum_int(0);
    return ERR_OK;
}

static enum err
remove_row(void *arg, struct eval *eval, const struct session_move *move, size_t table,
    const struct txn_row *row, bool *enough)
{
    (void)move;
    (void)table;
    (void)enough;
    bool removed;
    return exec_bucket_rows_remove(eval->task, arg, row->key, &removed);
}

static enum err
remove_rows(struct eval *eval, struct session_move *move)
{
    struct txn_snapshot snapshot = newest(move->session);
    for (move->at = 0; move->at < move->table_count; move->at++) {
        struct exec_context context;
        struct exec_bucket_rows *rows;
        bool enough = false;
        const struct catalog *before = move->session->env.catalog;
        session__exec_context(move->session, move->catalog, eval->arena, eval->diag, &context);
        enum err err = exec_bucket_rows_open(&context, move->tables[move->at], &rows, eval->diag);
        if (err == ERR_OK) {
            move->past_first = false;
            err = scan_table(eval, move, snapshot, remove_row, rows, &enough);
            exec_bucket_rows_close(rows);
        }
        move->session->env.catalog = before;
        TRY(err);
    }
    return ERR_OK;
}

FN(send_forget)
{
    (void)count;
    struct session_move *move;
    struct bucket_record record;
    TRY(begin(eval, args, true, &move));
    enum err err = lock_tables(eval, move, move->session->txn, TXN_ROW_EXCLUSIVE);
    err = err == ERR_OK ? state_of(eval, move, &record) : err;
    if (err == ERR_OK && record.state == BUCKET_SENT && record.attempt <= move->attempt) {
        /* MV5: a cut below the other's OWNED must find SENT here, however far its clock is ahead */
        err = txn_db_raise_hlc(
            eval->task, move->session->engine->db, (uint64_t)args[3].i, eval->diag);
        err = err == ERR_OK ? remove_rows(eval, move) : err;
        err = err == ERR_OK ? idempotency__leave(eval->task, &move->keys, eval->diag) : err;
        err = err == ERR_OK ? put_state(eval, move, BUCKET_GONE, record.epoch, record.node) : err;
    } else if (err == ERR_OK && record.state != BUCKET_GONE && record.state != BUCKET_ELSEWHERE) {
        err = wrong_state(eval, move, &record);
    }
    moves__end(eval->task, eval->env->session);
    *result = datum_int(0);
    return err;
}

FN(send_abort)
{
    (void)count;
    struct session_move *move;
    struct bucket_record record;
    TRY(begin(eval, args, true, &move));
    enum err err = state_of(eval, move, &record);
    if (err == ERR_OK && record.state == BUCKET_HANDING && record.attempt <= move->attempt) {
        err = put_state(eval, move, BUCKET_OWNED, record.epoch, "");
    } else if (err == ERR_OK && record.state != BUCKET_OWNED) {
        err = wrong_state(eval, move, &record);
    }
    moves__end(eval->task, eval->env->session);
    *result = datum_int(0);
    return err;
}

/* ---- receiving ------------------------------------------------------------------------------- */

FN(receive_begin)
{
    (void)count;
    struct session_move *move;
    struct bucket_record record;
    TRY(begin(eval, args, false, &move));
    struct sql_session *session = eval->env->session;
    move->phase = "receives";
    enum err err =
        buckets_lock(eval->task, session->txn, move->group, move->bucket, true, eval->diag);
    err = err == ERR_OK ? lock_tables(eval, move, session->txn, TXN_ROW_EXCLUSIVE) : err;
    err = err == ERR_OK ? state_of(eval, move, &record) : err;
    if (err != ERR_OK) {
        moves__end(eval->task, session);
        return err;
    }
    const char *name = bucket_state_name(record.state);
    *result = datum_bytes(name, strlen(name));
    return ERR_OK;
}

struct piece {
    struct slice rest;
    bool bad;
};

static struct slice
take(struct piece *piece, size_t size)
{
    static const uint8_t zeroes[8];
    if (piece->bad || piece->rest.size < size) {
        piece->bad = true;
        return slice_of(zeroes, size <= sizeof zeroes ? size : 0);
    }
    struct slice taken = slice_of(piece->rest.data, size);
    piece->rest.data += size;
    piece->rest.size -= size;
    return taken;
}

/* The sender's tables by our names, each with its writer. */
struct incoming {
    struct session_move *move;
    struct exec_context context;
    struct exec_bucket_rows **tables; /* by the sender's number */
    size_t *numbers;                  /* in move->tables */
    uint64_t rows;
};

static enum err
meet_table(struct eval *eval, struct incoming *incoming, struct piece *piece)
{
    uint16_t number = load_be16(take(piece, 2).data);
    struct slice name = take(piece, load_be16(take(piece, 2).data));
    uint64_t columns = load_be64(take(piece, 8).data);
    uint64_t scheme = load_be64(take(piece, 8).data);
    const struct session_move *move = incoming->move;
    for (size_t i = 0; !piece->bad && i < move->table_count; i++) {
        const struct relation *table = move->tables[i];
        size_t schema = strlen(table->schema_name);
        if (name.size != schema + 1 + strlen(table->name) ||
            memcmp(name.data, table->schema_name, schema + 1) != 0 ||
            memcmp(name.data + schema + 1, table->name, name.size - schema - 1) != 0) {
            continue;
        }
        if (digest(table) != columns) {
            return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED,
                "table \"%s\" has other columns on the node that sends", table->name);
        }
        if (scheme_digest(table) != scheme) { /* MV6 */
            return diag_set(eval->diag, ERR_BUCKET_MOVING,
                "one of both nodes has not heard yet that a bucket of \"%s\" was split",
                move->name);
        }
        if (number < TABLES_MAX) {
            incoming->numbers[number] = i;
        }
        return number < TABLES_MAX && incoming->tables[number] == NULL
                   ? exec_bucket_rows_open(
                         &incoming->context, table, &incoming->tables[number], eval->diag)
                   : ERR_OK;
    }
    return diag_set(eval->diag, ERR_UNDEFINED_TABLE,
        "a table of bucket group \"%s\" does not exist on this node", move->name);
}

static enum err
apply_record(struct eval *eval, struct incoming *incoming, struct piece *piece)
{
    uint8_t kind = *take(piece, 1).data;
    if (kind == 'T') {
        return meet_table(eval, incoming, piece);
    }
    if (kind == 'K') {
        struct slice record = take(piece, load_be32(take(piece, 4).data));
        return idempotency__receive(eval->task, &incoming->move->keys, record, eval->diag);
    }
    uint16_t number = load_be16(take(piece, 2).data);
    struct slice key = take(piece, load_be32(take(piece, 4).data));
    struct slice row = kind == 'P' ? take(piece, load_be32(take(piece, 4).data)) : key;
    struct exec_bucket_rows *table = number < TABLES_MAX ? incoming->tables[number] : NULL;
    if (piece->bad || table == NULL || (kind != 'P' && kind != 'D')) {
        return diag_set(eval->diag, ERR_INVALID_BINARY, "these are not rows of a bucket");
    }
    incoming->rows++;
    bool removed;
    struct session_move *move = incoming->move;
    size_t ours = incoming->numbers[number];
    if (move->verified) { /* by what is stored, not by what comes */
        TRY(sum_key(eval, move, newest(move->session), ours, key, false, &move->sum));
    }
    TRY(kind == 'P' ? exec_bucket_rows_put(eval->task, table, key, row)
                    : exec_bucket_rows_remove(eval->task, table, key, &removed));
    return move->verified ? sum_key(eval, move, newest(move->session), ours, key, true, &move->sum)
                          : ERR_OK;
}

FN(receive_rows)
{
    (void)count;
    struct sql_session *session;
    struct incoming incoming = {0};
    TRY(move_of(eval, false, &session, &incoming.move));
    struct piece piece = {.rest = slice_of(args[0].p, args[0].size)};
    const struct catalog *before = session->env.catalog;
    session__exec_context(
        session, incoming.move->catalog, eval->arena, eval->diag, &incoming.context);
    incoming.tables = mem_array(TABLES_MAX, sizeof(void *));
    incoming.numbers = mem_array(TABLES_MAX, sizeof *incoming.numbers);
    enum err err = ERR_OK;
    while (err == ERR_OK && piece.rest.size > 0) {
        err = apply_record(eval, &incoming, &piece);
        err = err == ERR_OK ? task_breathe(eval->task, eval->diag) : err;
    }
    for (size_t i = 0; i < TABLES_MAX; i++) {
        if (incoming.tables[i] != NULL) {
            exec_bucket_rows_close(incoming.tables[i]);
        }
    }
    mem_free(incoming.tables);
    mem_free(incoming.numbers);
    session->env.catalog = before;
    atomic_fetch_add(&incoming.move->rows, incoming.rows);
    atomic_fetch_add(&incoming.move->bytes, args[0].size);
    *result = datum_int((int64_t)incoming.rows);
    return err;
}

FN(receive_verify)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    struct session_move *move;
    TRY(move_of(eval, false, &session, &move));
    *result = datum_int(0);
    return verify(eval, move, newest(session));
}

FN(receive_sum)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    struct session_move *move;
    TRY(move_of(eval, false, &session, &move));
    if (!move->verified) {
        return diag_set(eval->diag, ERR_OBJECT_STATE, "the bucket has not been verified");
    }
    *result = sum_text(eval, &move->sum, &move->keys);
    return ERR_OK;
}

FN(receive_own)
{
    (void)count;
    struct sql_session *session;
    struct session_move *move;
    struct bucket_record record;
    TRY(move_of(eval, false, &session, &move));
    TRY(state_of(eval, move, &record));
    if ((record.state != BUCKET_ELSEWHERE && record.state != BUCKET_GONE) ||
        record.attempt > move->attempt) {
        return wrong_state(eval, move, &record);
    }
    TRY(txn_db_raise_hlc(eval->task, session->engine->db, (uint64_t)args[1].i, eval->diag));
    txn_sagas_go_blind(session->engine->db); /* before a snapshot sees the rows (G6) */
    move->phase = "owns";
    *result = datum_int(0);
    return put_state(eval, move, BUCKET_OWNED, (uint64_t)args[0].i, "");
}

/* ---- tusk_moves ------------------------------------------------------------------------------ */

static enum err
scan_moves(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    (void)catalog;
    enum {
        SHOWN_MAX = 1000,
        COLUMNS = 9,
    };
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct sql_engine *engine = eval->env->session->engine;
    struct datum(*rows)[COLUMNS] = arena_array(eval->arena, SHOWN_MAX, sizeof *rows);
    char *names = arena_alloc(eval->arena, SHOWN_MAX * 160);
    size_t found = 0;
    latch_acquire(&engine->moves_latch);
    for (const struct session_move *at = engine->moves; at != NULL && found < SHOWN_MAX;
         at = at->next) {
        char *name = names + found * 160;
        (void)snprintf(name, 160, "%s", at->name);
        const struct datum values[] = {
            datum_bytes(name, strlen(name)),
            datum_int(at->bucket),
            datum_int((int64_t)at->attempt),
            datum_int(sql_session_pid(at->session)),
            at->sends ? datum_bytes("sends", 5) : datum_bytes("receives", 8),
            datum_bytes(at->phase, strlen(at->phase)),
            datum_int((int64_t)atomic_load(&at->rows)),
            datum_int((int64_t)atomic_load(&at->bytes)),
            datum_int((int64_t)atomic_load(&at->rounds)),
        };
        memcpy(rows[found++], values, sizeof values);
    }
    latch_release(&engine->moves_latch);
    for (size_t i = 0; i < found; i++) {
        TRY(emit(arg, rows[i]));
    }
    return ERR_OK;
}

enum {
    VOLATILE = FUNCTION_STRICT | FUNCTION_VOLATILE,
};

#define BUCKET_ARGS                     \
    {                                   \
        TYPE_TEXT, TYPE_INT4, TYPE_INT8 \
    }

static const struct function functions[] = {
    {"tusk_send_begin", 0, TYPE_TEXT, 3, 3, VOLATILE, BUCKET_ARGS, send_begin, NULL, NULL},
    {"tusk_send_rows", 0, TYPE_BYTEA, 0, 0, VOLATILE, {0}, send_rows, NULL, NULL},
    {"tusk_send_changes", 0, TYPE_BYTEA, 0, 0, VOLATILE, {0}, send_changes, NULL, NULL},
    {"tusk_send_verify", 0, TYPE_VOID, 0, 0, VOLATILE, {0}, send_verify, NULL, NULL},
    {"tusk_send_stop", 0, TYPE_VOID, 1, 1, VOLATILE, {TYPE_TEXT}, send_stop, NULL, NULL},
    {"tusk_send_sum", 0, TYPE_TEXT, 0, 0, VOLATILE, {0}, send_sum, NULL, NULL},
    {"tusk_send_decided", 0, TYPE_VOID, 1, 1, VOLATILE, {TYPE_INT8}, send_decided, NULL, NULL},
    {"tusk_send_end", 0, TYPE_VOID, 0, 0, VOLATILE, {0}, send_end, NULL, NULL},
    {"tusk_send_forget", 0, TYPE_VOID, 4, 4, VOLATILE, {TYPE_TEXT, TYPE_INT4, TYPE_INT8, TYPE_INT8},
        send_forget, NULL, NULL},
    {"tusk_send_abort", 0, TYPE_VOID, 3, 3, VOLATILE, BUCKET_ARGS, send_abort, NULL, NULL},
    {"tusk_receive_begin", 0, TYPE_TEXT, 3, 3, VOLATILE, BUCKET_ARGS, receive_begin, NULL, NULL},
    {"tusk_receive_rows", 0, TYPE_INT8, 1, 1, VOLATILE, {TYPE_BYTEA}, receive_rows, NULL, NULL},
    {"tusk_receive_verify", 0, TYPE_VOID, 0, 0, VOLATILE, {0}, receive_verify, NULL, NULL},
    {"tusk_receive_sum", 0, TYPE_TEXT, 0, 0, VOLATILE, {0}, receive_sum, NULL, NULL},
    {"tusk_receive_own", 0, TYPE_VOID, 2, 2, VOLATILE, {TYPE_INT8, TYPE_INT8}, receive_own, NULL,
        NULL},
};

void
moves__register(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
    catalog_set_virtual_scan("tusk_moves", scan_moves);
}
