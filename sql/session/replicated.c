/*
 * sql/session/replicated.c - changes of replicated tables (sql/catalog/replicated.h): what a
 * transaction has changed becomes an entry of the list in its commit, and entries are applied.
 *
 * What routers call:
 *
 *     tusk_replicated_version()            this node's number
 *     tusk_replicated_entry(version, piece)    what stands there; null: nothing
 *     tusk_replicated_apply(version, piece, bytes)   at any but the first node, the pieces of an
 *                                          entry in one transaction; the answer is its number
 *     tusk_replicated_mark(version, ddl)   in the transaction of a change of the schema: at the
 *                                          first node, with 0, the next entry is a mark; at others
 *                                          the mark is passed
 *     tusk_replicated_lock()               nothing is appended up to the end of the transaction
 *     tusk_replicated_settle(version)      a copy was made as of this number
 *     tusk_replicated_forget(version)      all nodes have these: the number of pieces removed
 *
 * A piece, numbers big-endian:
 *
 *     'M', be64                            a mark: the number of the change of the schema
 *     'R' or, the last one, 'E'; then records:
 *     'T' be16 number, be16 size, schema, NUL, table, be64 digest of its columns
 *     'D' be16 table, a field for each column of the primary key
 *     'P' be16 table, a field for each column that is not dropped
 *
 * A field is be32 size and the value as text; of a null the size is 2^32-1. As text, because OIDs
 * of types and enums' values are a node's own.
 *
 * An entry says what has become of rows, not how: a row that is not there any more (D), or what it
 * is now (P). Rows that go come before all others, and so do those whose unique key changes: what
 * is there at the end of a transaction is unique, so no order of the others can meet a duplicate.
 * Nothing is checked when an entry is applied, and no action of a foreign key fires: what they have
 * done at the first node is in the entry.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/reader.h"
#include "sql/catalog/buckets.h"
#include "sql/catalog/edit.h"
#include "sql/catalog/index_key.h"
#include "sql/catalog/replicated.h"
#include "sql/session/session_internal.h"

enum {
    CHANGES_MAX = 4 * 1000 * 1000, /* of rows and index entries, in one transaction */
    PIECE_SIZE = 512 * 1024,
    ENTRY_SIZE_MAX = 256 << 20,
    TABLES_MAX = 4096,
};
#define NULL_FIELD UINT32_MAX

static uint64_t
digest(const struct relation *relation)
{
    uint64_t hash = relation->column_count;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        const char *name = relation->columns[i].name;
        hash = hash64(name, strlen(name), hash + relation->columns[i].dropped);
    }
    return hash;
}

/* Values are written and read in this form whatever the session's settings are. */
static struct eval_env
plain_env(const struct catalog *catalog, const struct eval_env *own)
{
    return (struct eval_env){.time_zone = "UTC",
        .extra_float_digits = 1,
        .catalog = catalog,
        .user = own->user,
        .session = own->session};
}

/* ---- an entry is made --------------------------------------------------------------------------
 */

struct gathering {
    struct task *task;
    struct sql_session *session;
    struct catalog *catalog; /* held */
    struct eval_env env;
    struct arena *arena;
    struct arena row; /* of one row */
    struct diag *diag;
    const struct txn_change **changes; /* by key, the newest of a row first */
    size_t count;
    const struct relation *tables[TABLES_MAX]; /* by number */
    uint16_t table_count;
    struct buffer *pieces;
    uint32_t piece_count;
    bool *headed; /* this table's head is in the piece */
    uint64_t size;
};

static int
by_key(const void *left, const void *right)
{
    const struct txn_change *a = *(const struct txn_change *const *)left;
    const struct txn_change *b = *(const struct txn_change *const *)right;
    if (a->tree.v != b->tree.v) {
        return a->tree.v < b->tree.v ? -1 : 1;
    }
    int order = slice_compare(a->key, b->key);
    return order != 0 ? order : (a > b) - (a < b);
}

/* Those of rows of replicated tables. */
static enum err
sift(struct gathering *gathering, const struct txn_change *changes, size_t count)
{
    uint64_t tree = 0;
    const struct relation *relation = NULL;
    gathering->changes = arena_array(gathering->arena, count + 1, sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        if (relation == NULL || changes[i].tree.v != tree) {
            const struct index *index = NULL;
            tree = changes[i].tree.v;
            relation = catalog_relation_of_tree(gathering->catalog, changes[i].tree, &index);
        }
        if (relation != NULL && relation->tree.v == tree && relation_is_replicated(relation)) {
            if (relation->primary == NULL) {
                return diag_set(gathering->diag, ERR_FEATURE_NOT_SUPPORTED,
                    "rows of replicated table \"%s\" cannot be changed: it has no primary key",
                    relation->name);
            }
            gathering->changes[gathering->count++] = &changes[i];
        }
    }
    qsort(gathering->changes, gathering->count, sizeof(void *), by_key);
    return ERR_OK;
}

static enum err
table_number(struct gathering *gathering, const struct relation *relation, uint16_t *number)
{
    for (*number = 0; *number < gathering->table_count; (*number)++) {
        if (gathering->tables[*number] == relation) {
            return ERR_OK;
        }
    }
    if (gathering->table_count == TABLES_MAX) {
        return diag_set(
            gathering->diag, ERR_PROGRAM_LIMIT, "one transaction changes too many tables");
    }
    gathering->tables[gathering->table_count++] = relation;
    return ERR_OK;
}

/* Where the next record goes. */
static enum err
piece_for(struct gathering *gathering, const struct relation *relation, char kind,
    struct buffer **piece_out)
{
    uint16_t number;
    TRY(table_number(gathering, relation, &number));
    struct buffer *piece =
        gathering->piece_count == 0 ? NULL : &gathering->pieces[gathering->piece_count - 1];
    if (piece == NULL || piece->size > PIECE_SIZE) {
        gathering->size += piece == NULL ? 0 : piece->size;
        if (gathering->size > ENTRY_SIZE_MAX) {
            (void)diag_set(gathering->diag, ERR_PROGRAM_LIMIT,
                "a transaction changes too much of replicated tables");
            diag_hint(gathering->diag, "Do it in several: %d MB of rows are the most in one.",
                ENTRY_SIZE_MAX >> 20);
            return ERR_PROGRAM_LIMIT;
        }
        gathering->pieces = mem_realloc(
            gathering->pieces, (gathering->piece_count + 1) * sizeof *gathering->pieces);
        piece = &gathering->pieces[gathering->piece_count++];
        *piece = (struct buffer){0};
        buffer_add_u8(piece, 'R');
        memset(gathering->headed, 0, TABLES_MAX * sizeof *gathering->headed);
    }
    if (!gathering->headed[number]) {
        gathering->headed[number] = true;
        size_t schema = strlen(relation->schema_name), name = strlen(relation->name);
        buffer_add_u8(piece, 'T');
        buffer_add_be16(piece, number);
        buffer_add_be16(piece, (uint16_t)(schema + 1 + name));
        buffer_add(piece, relation->schema_name, schema + 1);
        buffer_add(piece, relation->name, name);
        buffer_add_be64(piece, digest(relation));
    }
    buffer_add_u8(piece, (uint8_t)kind);
    buffer_add_be16(piece, number);
    *piece_out = piece;
    return ERR_OK;
}

static void
put_field(struct gathering *gathering, const struct column *column, struct datum value,
    struct buffer *piece)
{
    if (value.null) {
        buffer_add_be32(piece, NULL_FIELD);
        return;
    }
    struct buffer text = {0};
    type_output(&gathering->env, column->type, value, &text);
    buffer_add_be32(piece, (uint32_t)text.size);
    buffer_add(piece, text.data, text.size);
    buffer_destroy(&text);
}

static enum err
decode(struct gathering *gathering, const struct relation *relation, struct slice value,
    struct datum **row)
{
    uint16_t *all = arena_array(&gathering->row, relation->column_count, sizeof *all);
    *row = arena_array(&gathering->row, relation->column_count, sizeof **row);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        all[i] = i;
    }
    return row_decode(relation->layout, value, all, relation->column_count, *row, gathering->diag);
}

/* A changed row must go before another may have the key that was its own. */
static bool
changes_unique(const struct relation *relation, const struct datum *old, const struct datum *new)
{
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (index->unique && !index->primary &&
            (index_has_derived(index) || !index_same_key(relation, index, old, new))) {
            return true;
        }
    }
    return false;
}

/* One row: `oldest` says what was there before the transaction. */
static enum err
put_row(struct gathering *gathering, const struct relation *relation,
    const struct txn_change *oldest, bool goes)
{
    struct sql_session *session = gathering->session;
    struct txn_row row;
    bool found = false;
    struct datum *before = NULL, *after = NULL;
    struct buffer *piece = NULL;
    TRY(txn_get(gathering->task, session->txn,
        catalog_newest_snapshot(session->engine->catalogs, session->txn), oldest->tree, oldest->key,
        &gathering->row, &row, &found, gathering->diag));
    if (oldest->had) {
        TRY(decode(gathering, relation, oldest->before, &before));
    }
    if (found) {
        TRY(decode(gathering, relation, row.value, &after));
    }
    if (goes && before != NULL && (after == NULL || changes_unique(relation, before, after))) {
        TRY(piece_for(gathering, relation, 'D', &piece));
        for (uint16_t i = 0; i < relation->primary->column_count; i++) {
            uint16_t column = relation->primary->columns[i];
            put_field(gathering, &relation->columns[column], before[column], piece);
        }
    } else if (!goes && after != NULL) {
        TRY(piece_for(gathering, relation, 'P', &piece));
        for (uint16_t i = 0; i < relation->column_count; i++) {
            if (!relation->columns[i].dropped) {
                put_field(gathering, &relation->columns[i], after[i], piece);
            }
        }
    }
    return ERR_OK;
}

static enum err
put_rows(struct gathering *gathering, bool goes)
{
    for (size_t i = 0; i < gathering->count; i++) {
        const struct txn_change *change = gathering->changes[i];
        const struct txn_change *next = i + 1 < gathering->count ? gathering->changes[i + 1] : NULL;
        if (next != NULL && next->tree.v == change->tree.v && slice_equal(next->key, change->key)) {
            continue; /* an older one of the same row follows */
        }
        const struct index *index = NULL;
        const struct relation *relation =
            catalog_relation_of_tree(gathering->catalog, change->tree, &index);
        arena_reset(&gathering->row);
        TRY(put_row(gathering, relation, change, goes));
        TRY(task_breathe(gathering->task, gathering->diag));
    }
    return ERR_OK;
}

static void
forget_pieces(struct gathering *gathering)
{
    for (uint32_t i = 0; i < gathering->piece_count; i++) {
        buffer_destroy(&gathering->pieces[i]);
    }
    mem_free(gathering->pieces);
    catalog_release(gathering->catalog);
    gathering->pieces = NULL;
    gathering->catalog = NULL;
    gathering->piece_count = gathering->table_count = 0;
    gathering->count = 0;
    gathering->size = 0;
}

static enum err
gather(struct gathering *gathering)
{
    struct sql_session *session = gathering->session;
    struct txn_change *changes = NULL;
    size_t count = 0;
    forget_pieces(gathering);
    TRY(catalog_get(gathering->task, session->engine->catalogs, session->txn, &gathering->catalog,
        gathering->diag));
    gathering->env = plain_env(gathering->catalog, &session->env);
    TRY(txn_changes(gathering->task, session->txn, gathering->arena, CHANGES_MAX, &changes, &count,
        gathering->diag));
    TRY(sift(gathering, changes, count));
    TRY(put_rows(gathering, true));
    return put_rows(gathering, false);
}

/* RP1, RP2. Rows cannot change any more, but names may until the lock is there. */
static enum err
append(struct gathering *gathering, uint64_t *version)
{
    struct sql_session *session = gathering->session;
    struct catalog_store *store = session->engine->catalogs;
    struct task *task = gathering->task;
    struct diag *diag = gathering->diag;
    TRY(gather(gathering));
    TRY(replicated_lock(task, store, session->txn, diag));
    if (!catalog_is_current(gathering->catalog, store, session->txn)) {
        TRY(gather(gathering));
    }
    TRY(replicated_newest(task, store, session->txn, version, diag));
    if (gathering->piece_count == 0) {
        return ERR_OK; /* all of it was taken back */
    }
    ++*version;
    gathering->pieces[gathering->piece_count - 1].data[0] = 'E';
    for (uint32_t i = 0; i < gathering->piece_count; i++) {
        const struct buffer *piece = &gathering->pieces[i];
        TRY(replicated_put_piece(
            task, store, session->txn, *version, i, slice_of(piece->data, piece->size), diag));
    }
    return replicated_put_version(task, store, session->txn, *version, diag);
}

enum err
replicated__before_commit(
    struct task *task, struct sql_session *session, uint64_t *version, struct diag *diag)
{
    struct txn *txn = session->txn;
    if (!txn_changes_replicated(txn) || txn_replicated_permitted(txn) != TXN_REPLICATED_LISTED) {
        return replicated_newest(task, session->engine->catalogs, txn, version, diag);
    }
    struct gathering *gathering = mem_zalloc(sizeof *gathering);
    struct arena arena;
    arena_create(&arena, "replicated");
    arena_create(&gathering->row, "replicated row");
    gathering->headed = mem_array(TABLES_MAX, sizeof *gathering->headed);
    gathering->task = task;
    gathering->session = session;
    gathering->arena = &arena;
    gathering->diag = diag;
    enum err err = append(gathering, version);
    forget_pieces(gathering);
    mem_free(gathering->headed);
    arena_destroy(&gathering->row);
    arena_destroy(&arena);
    mem_free(gathering);
    return err;
}

/* ---- an entry is applied -----------------------------------------------------------------------
 */

struct applying {
    struct eval *eval;
    struct sql_session *session;
    struct eval_env env;
    struct exec_context context;
    struct reader reader;
    const struct relation *tables[TABLES_MAX]; /* by the entry's number */
    struct exec_bucket_rows *rows[TABLES_MAX];
    struct arena row;
};

static enum err
meet_table(struct applying *applying)
{
    struct diag *diag = applying->eval->diag;
    struct reader *reader = &applying->reader;
    struct sql_session *session = applying->session;
    const struct catalog *catalog = applying->env.catalog;
    uint16_t number = load_be16(reader_take(reader, 2));
    struct slice names = reader_run(reader, load_be16(reader_take(reader, 2)));
    uint64_t columns = load_be64(reader_take(reader, 8));
    char *schema = arena_strndup(applying->eval->arena, (const char *)names.data, names.size);
    if (reader->bad || number >= TABLES_MAX || strlen(schema) + 2 > names.size) {
        reader->bad = true;
        return ERR_OK;
    }
    const char *name = schema + strlen(schema) + 1;
    const struct relation *relation = catalog_relation(catalog, schema, name);
    if (relation == NULL || !relation_is_replicated(relation) || digest(relation) != columns ||
        relation->primary == NULL) {
        return diag_set(diag, ERR_OBJECT_STATE,
            "table \"%s.%s\" is not what it is on the first node of the cluster", schema, name);
    }
    TRY(txn_lock_table(applying->eval->task, session->txn, relation->oid, relation->name,
        TXN_ROW_EXCLUSIVE, TXN_WAIT, diag));
    if (!catalog_is_current(catalog, session->engine->catalogs, session->txn)) {
        return diag_set(diag, ERR_SERIALIZATION, "the schema has changed meanwhile");
    }
    applying->tables[number] = relation;
    return applying->rows[number] != NULL
               ? ERR_OK
               : exec_bucket_rows_open(&applying->context, relation, &applying->rows[number], diag);
}

static enum err
read_field(struct applying *applying, const struct column *column, struct datum *value)
{
    struct reader *reader = &applying->reader;
    uint32_t size = load_be32(reader_take(reader, 4));
    if (reader->bad || size == NULL_FIELD) {
        *value = datum_null();
        return ERR_OK;
    }
    struct slice text = reader_run(reader, size);
    if (reader->bad) {
        return ERR_OK;
    }
    struct eval eval = *applying->eval;
    eval.env = &applying->env;
    eval.arena = &applying->row;
    return type_input(&eval, column->type, -1, text, value);
}

static enum err
apply_row(struct applying *applying, bool goes)
{
    struct reader *reader = &applying->reader;
    uint16_t number = load_be16(reader_take(reader, 2));
    if (reader->bad || number >= TABLES_MAX || applying->tables[number] == NULL) {
        reader->bad = true;
        return ERR_OK;
    }
    const struct relation *relation = applying->tables[number];
    struct task *task = applying->eval->task;
    arena_reset(&applying->row);
    struct datum *row =
        arena_array(&applying->row, (size_t)relation->column_count + 1, sizeof *row);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        row[i] = datum_null();
        if (!goes && !relation->columns[i].dropped) {
            TRY(read_field(applying, &relation->columns[i], &row[i]));
        }
    }
    for (uint16_t i = 0; goes && i < relation->primary->column_count; i++) {
        uint16_t column = relation->primary->columns[i];
        TRY(read_field(applying, &relation->columns[column], &row[column]));
    }
    if (reader->bad) {
        return ERR_OK;
    }
    struct buffer key = {0}, bytes = {0};
    bool removed;
    index_row_key(relation, row, &key);
    enum err err = ERR_OK;
    if (goes) {
        err = exec_bucket_rows_remove(
            task, applying->rows[number], slice_of(key.data, key.size), &removed);
    } else {
        row_encode(relation->layout, row, &bytes);
        err = exec_bucket_rows_put(task, applying->rows[number], slice_of(key.data, key.size),
            slice_of(bytes.data, bytes.size));
    }
    buffer_destroy(&key);
    buffer_destroy(&bytes);
    return err;
}

static enum err
apply_records(struct applying *applying)
{
    struct reader *reader = &applying->reader;
    while (reader->rest.size > 0 && !reader->bad) {
        uint8_t kind = *reader_take(reader, 1);
        if (kind == 'T') {
            TRY(meet_table(applying));
        } else if (kind == 'D' || kind == 'P') {
            TRY(apply_row(applying, kind == 'D'));
        } else {
            reader->bad = true;
        }
        TRY(task_breathe(applying->eval->task, applying->eval->diag));
    }
    return reader->bad ? diag_set(applying->eval->diag, ERR_CORRUPT,
                             "a change of replicated tables is damaged")
                       : ERR_OK;
}

static enum err
apply_piece(struct eval *eval, struct sql_session *session, struct slice bytes)
{
    const struct eval_env *own = eval->env;
    struct applying *applying = mem_zalloc(sizeof *applying);
    const struct catalog *catalog = own->catalog;
    applying->eval = eval;
    applying->session = session;
    applying->reader.rest = bytes;
    arena_create(&applying->row, "replicated row");
    session__exec_context(session, catalog, eval->arena, eval->diag, &applying->context);
    applying->env = plain_env(catalog, own);
    enum err err = apply_records(applying);
    for (size_t i = 0; i < TABLES_MAX; i++) {
        if (applying->rows[i] != NULL) {
            exec_bucket_rows_close(applying->rows[i]);
        }
    }
    session->env.catalog = catalog;
    arena_destroy(&applying->row);
    mem_free(applying);
    return err;
}

/* ---- functions ---------------------------------------------------------------------------------
 */

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

/* Of a superuser, at a node of a cluster. */
static enum err
at_node(struct eval *eval, struct sql_session **session)
{
    TRY(buckets__superuser(eval, session));
    return buckets_node((*session)->engine->catalogs)[0] != '\0'
               ? ERR_OK
               : diag_set(eval->diag, ERR_OBJECT_STATE, "this server is no node of a cluster");
}

FN(version_of)
{
    (void)args;
    (void)count;
    struct sql_session *session = eval->env->session;
    uint64_t version = 0;
    if (session == NULL) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session");
    }
    TRY(replicated_newest(
        eval->task, session->engine->catalogs, session->txn, &version, eval->diag));
    *result = datum_int((int64_t)version);
    return ERR_OK;
}

FN(entry)
{
    (void)count;
    struct sql_session *session;
    struct slice bytes;
    bool found;
    TRY(at_node(eval, &session));
    TRY(replicated_get_piece(eval->task, session->engine->catalogs, session->txn,
        (uint64_t)args[0].i, (uint32_t)args[1].i, eval->arena, &bytes, &found, eval->diag));
    *result = found ? datum_bytes(bytes.data, bytes.size) : datum_null();
    return ERR_OK;
}

/* RP4. *behind false: the entry has been applied. */
static enum err
stand_before(struct eval *eval, struct sql_session *session, uint64_t version, bool *behind)
{
    struct catalog_store *store = session->engine->catalogs;
    uint64_t at = 0;
    TRY(replicated_lock(eval->task, store, session->txn, eval->diag));
    TRY(replicated_newest(eval->task, store, session->txn, &at, eval->diag));
    *behind = at < version;
    if (at + 1 < version) {
        (void)diag_set(eval->diag, ERR_REPLICATED_BEHIND,
            "change %llu of replicated tables cannot be applied to version %llu",
            (unsigned long long)version, (unsigned long long)at);
        diag_detail(
            eval->diag, "node=%s replicated=%llu", buckets_node(store), (unsigned long long)at);
        return ERR_REPLICATED_BEHIND;
    }
    return ERR_OK;
}

FN(apply)
{
    (void)count;
    struct sql_session *session;
    TRY(at_node(eval, &session));
    struct catalog_store *store = session->engine->catalogs;
    uint64_t version = (uint64_t)args[0].i;
    struct slice bytes = slice_of(args[2].p, args[2].size);
    bool behind = true;
    if (bytes.size == 0 || (bytes.data[0] != 'R' && bytes.data[0] != 'E')) {
        return diag_set(eval->diag, ERR_CORRUPT, "this is no change of replicated tables");
    }
    *result = datum_int((int64_t)version);
    TRY(stand_before(eval, session, version, &behind));
    if (args[1].i != (session->applied_version == version ? session->applied_pieces : 0)) {
        return behind ? diag_set(eval->diag, ERR_OBJECT_STATE,
                            "pieces of a change must come one after the other in one transaction")
                      : ERR_OK;
    }
    if (!behind) {
        return ERR_OK;
    }
    bool last = bytes.data[0] == 'E';
    session->applied_version = last ? 0 : version;
    session->applied_pieces = last ? 0 : args[1].i + 1;
    TRY(apply_piece(eval, session, slice_of(bytes.data + 1, bytes.size - 1)));
    return last ? replicated_put_version(eval->task, store, session->txn, version, eval->diag)
                : ERR_OK;
}

FN(mark)
{
    (void)count;
    struct sql_session *session;
    TRY(at_node(eval, &session));
    struct catalog_store *store = session->engine->catalogs;
    uint64_t version = (uint64_t)args[0].i;
    bool behind = true;
    if (version == 0) {
        uint8_t piece[9] = {'M'};
        store_be64(piece + 1, (uint64_t)args[1].i);
        TRY(replicated_lock(eval->task, store, session->txn, eval->diag));
        TRY(replicated_newest(eval->task, store, session->txn, &version, eval->diag));
        version++;
        TRY(replicated_put_piece(eval->task, store, session->txn, version, 0,
            slice_of(piece, sizeof piece), eval->diag));
    } else {
        TRY(stand_before(eval, session, version, &behind));
    }
    *result = datum_int((int64_t)version);
    return behind ? replicated_put_version(eval->task, store, session->txn, version, eval->diag)
                  : ERR_OK;
}

FN(hold)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    uint64_t version = 0;
    TRY(at_node(eval, &session));
    struct catalog_store *store = session->engine->catalogs;
    TRY(replicated_lock(eval->task, store, session->txn, eval->diag));
    TRY(replicated_newest(eval->task, store, session->txn, &version, eval->diag));
    *result = datum_int((int64_t)version);
    return ERR_OK;
}

FN(come_to)
{
    (void)count;
    struct sql_session *session;
    TRY(at_node(eval, &session));
    struct catalog_store *store = session->engine->catalogs;
    TRY(replicated_lock(eval->task, store, session->txn, eval->diag));
    *result = args[0];
    return replicated_put_version(eval->task, store, session->txn, (uint64_t)args[0].i, eval->diag);
}

FN(forget)
{
    (void)count;
    struct sql_session *session;
    uint64_t removed = 0;
    TRY(at_node(eval, &session));
    TRY(replicated_forget(eval->task, session->engine->catalogs, session->txn, (uint64_t)args[0].i,
        &removed, eval->diag));
    *result = datum_int((int64_t)removed);
    return ERR_OK;
}

enum {
    VOLATILE = FUNCTION_STRICT | FUNCTION_VOLATILE,
};

static const struct function functions[] = {
    {"tusk_replicated_version", 0, TYPE_INT8, 0, 0, VOLATILE, {0}, version_of, NULL, NULL},
    {"tusk_replicated_entry", 0, TYPE_BYTEA, 2, 2, VOLATILE, {TYPE_INT8, TYPE_INT4}, entry, NULL,
        NULL},
    {"tusk_replicated_apply", 0, TYPE_INT8, 3, 3, VOLATILE, {TYPE_INT8, TYPE_INT4, TYPE_BYTEA},
        apply, NULL, NULL},
    {"tusk_replicated_mark", 0, TYPE_INT8, 2, 2, VOLATILE, {TYPE_INT8, TYPE_INT8}, mark, NULL,
        NULL},
    {"tusk_replicated_lock", 0, TYPE_INT8, 0, 0, VOLATILE, {0}, hold, NULL, NULL},
    {"tusk_replicated_settle", 0, TYPE_INT8, 1, 1, VOLATILE, {TYPE_INT8}, come_to, NULL, NULL},
    {"tusk_replicated_forget", 0, TYPE_INT8, 1, 1, VOLATILE, {TYPE_INT8}, forget, NULL, NULL},
};

void
replicated__register(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
}
