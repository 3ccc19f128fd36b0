/*
 * sql/session/idempotency.c - transactions with a key take effect once.
 *
 * A transaction under tusk.idempotency_key inserts (role, key) into a tree of the catalog before
 * its first statement: so of two at once the second waits for the first's end, as two inserters of
 * one key do (deadlocks, cancel and timeouts included). What its statements are answered is kept
 * while they run, and becomes the row's value just before the commit: key, digests and outcome are
 * in the commit record, or there is no commit. Whoever finds the row committed runs nothing; its
 * statements are compared one by one with the first transaction's and answered from the row.
 *
 * Value of a row, numbers big-endian:
 *
 *     version byte; be64 time of the commit (us since 2000); be32 number of statements; then each:
 *     16 digest; flags (enum item_flags); be32 size and bytes of the tag
 *     ITEM_FAILED   5 SQLSTATE; be32 position; message, detail, hint: each be32 size and bytes
 *     ITEM_COPY_IN  16 digest of the data, columns be32, binary byte
 *     ITEM_COPY_OUT columns be32, binary byte
 *     be32 number of columns, each: be32 type, be32 typmod, be32 table, be16 attnum, be32 size and
 *     bytes of the name
 *     be64 number of rows, be64 size and bytes of them (ITEM_ROWS_LOST: 0)
 *
 * A row of a result: be32 size, then per column a byte (1: null), and be64 or be32 size and bytes.
 * Of COPY TO: be32 size and bytes.
 *
 * Invariants
 *   I1. The claim is older than every savepoint, and than every write of the transaction: rolling
 *       back to a savepoint takes nothing of it away.
 *   I2. No transaction commits with a claim whose row is not written whole.
 *   I3. A transaction that is answered from a row writes nothing; it may commit only if it was
 *       given all of the first one's statements.
 * I4 to I7, keys that go with a bucket to another node: idempotency_moves.c.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/reader.h"
#include "parser/scanner.h"
#include "sql/catalog/access.h"
#include "sql/catalog/trees.h"
#include "sql/ddl/ddl.h"
#include "sql/session/config.h"
#include "sql/session/idempotency_internal.h"

enum {
    KEY_SIZE_MAX = 255,
    VALUE_VERSION = 1,
    COPY_BLOCK = 64 * 1024, /* what of COPY's data is hashed at once */
    OUTCOME_SIZE_MAX = 64 << 20,
    EXPIRE_BATCH = 500,
};

enum item_flags {
    ITEM_DONE = 1, /* the tag was told */
    ITEM_FAILED = 2,
    ITEM_ROWS_LOST = 4, /* there were more than are kept */
    ITEM_COPY_IN = 8,
    ITEM_COPY_OUT = 16,
    ITEM_COLUMNS = 32, /* it returns rows, perhaps none */
};

/* One statement and what it was answered. */
struct item {
    uint8_t digest[HASH128_SIZE];
    unsigned flags;
    char *tag;
    struct diag *failure;
    uint8_t data_digest[HASH128_SIZE];
    uint32_t copy_columns;
    bool copy_binary;
    struct plan_column *columns;
    uint32_t column_count;
    uint64_t row_count;
    struct buffer rows; /* first run */
    struct slice kept;  /* replay */
};

/* Of COPY's data, however it is cut into messages. */
struct data_digest {
    uint8_t digest[HASH128_SIZE];
    struct buffer block;
};

struct idempotency {
    struct arena arena;
    char key[KEY_SIZE_MAX + 1];
    struct buffer tree_key; /* of tree 26 */
    bool replays;
    struct item *items;
    uint32_t count, capacity;
    uint32_t at;                  /* replay: how many have been asked for */
    struct keyed_bucket *buckets; /* they decide where the transaction is repeated (I4) */
    uint32_t bucket_count;
    uint64_t rows_size, rows_limit;
    struct sql_sink sink; /* first run: what sees all answers pass by */
    const struct sql_sink *client;
    struct item *item; /* that runs */
    struct data_digest data;
};

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

static int64_t
now_us(const struct sql_session *session)
{
    return world_wall_us(session->engine->world) - EPOCH_US;
}

bool
idempotency__is_over(struct sql_session *session, int64_t committed)
{
    return committed + idempotency__ttl_us(session->engine) <= now_us(session);
}

int64_t
idempotency__ttl_us(struct sql_engine *engine)
{
    latch_acquire(&engine->latch);
    int64_t ttl = sql_config_integer(engine->config, "tusk.idempotency_ttl") * 1000;
    latch_release(&engine->latch);
    return ttl;
}

/* ---- digests --------------------------------------------------------------------------------- */

static void
data_add(struct data_digest *data, struct slice bytes)
{
    while (bytes.size > 0) {
        if (data->block.size == 0) {
            buffer_add(&data->block, data->digest, HASH128_SIZE);
        }
        size_t room = HASH128_SIZE + COPY_BLOCK - data->block.size;
        size_t size = bytes.size < room ? bytes.size : room;
        buffer_add(&data->block, bytes.data, size);
        bytes = slice_of(bytes.data + size, bytes.size - size);
        if (size == room) {
            hash128(data->block.data, data->block.size, data->digest);
            data->block.size = 0;
        }
    }
}

static void
data_finish(struct data_digest *data, uint8_t digest[HASH128_SIZE])
{
    if (data->block.size > 0) {
        hash128(data->block.data, data->block.size, data->digest);
    }
    memcpy(digest, data->digest, HASH128_SIZE);
    memset(data->digest, 0, HASH128_SIZE);
    data->block.size = 0;
}

/* Its tokens: blanks, comments and the case of words do not count. */
static void
add_text(const char *text, size_t size, struct buffer *to)
{
    struct scanner scanner;
    struct scan_token token;
    scanner_create(&scanner, text, size);
    for (scanner_next(&scanner, &token); token.kind != SCAN_END && token.end > token.start;
         scanner_next(&scanner, &token)) {
        if (token.kind == SCAN_SYMBOL && token.symbol == ';') {
            continue;
        }
        uint8_t *bytes = buffer_extend(to, token.end - token.start);
        memcpy(bytes, text + token.start, token.end - token.start);
        for (uint32_t i = 0; token.kind == SCAN_WORD && i < token.end - token.start; i++) {
            bytes[i] = (uint8_t)tolower(bytes[i]);
        }
        buffer_add_u8(to, 0);
    }
}

static void
add_param(const struct sql_session *session, oid_t type, struct datum value, struct buffer *to)
{
    if (type < OID_FIRST_USER) {
        buffer_add_be32(to, type);
    } else { /* its OID is another on another node (I6) */
        const struct type *found = type_by_oid(type);
        buffer_add_text(to, found == NULL ? "" : found->name);
        buffer_add_u8(to, '\0');
    }
    buffer_add_u8(to, value.null);
    if (!value.null) {
        size_t at = to->size;
        buffer_add_be32(to, 0);
        type_send(&session->env, type, value, to);
        store_be32(to->data + at, (uint32_t)(to->size - at - 4));
    }
}

static void
digest_of(struct sql_session *session, const struct portal *portal, uint8_t digest[HASH128_SIZE])
{
    const struct prepared *prepared = portal->prepared;
    const struct ast_statement *statement = prepared->statement;
    struct buffer request = {0};
    if (prepared->cached) { /* its own text has lost the literals */
        add_text(session->source.text, session->source.size, &request);
    } else {
        bool part = statement->size > 0;
        add_text(prepared->text + (part ? statement->start : 0),
            part ? (size_t)statement->size : prepared->size, &request);
        for (uint32_t i = 0; i < prepared->param_count && portal->params != NULL; i++) {
            add_param(session, prepared->param_types[i], portal->params[i], &request);
        }
    }
    if (statement->body->kind == AST_EXECUTE) {
        const struct prepared *target =
            prepared__find(session, ast_as_execute(statement->body)->name, NULL);
        if (target != NULL) {
            add_text(target->text, target->size, &request);
        }
    }
    hash128(request.data, request.size, digest);
    buffer_destroy(&request);
}

/* ---- a row's value --------------------------------------------------------------------------- */

static void
put_item(const struct item *item, struct buffer *to)
{
    buffer_add(to, item->digest, HASH128_SIZE);
    buffer_add_u8(to, (uint8_t)item->flags);
    buffer_add_sized(to, item->tag);
    if ((item->flags & ITEM_FAILED) != 0) {
        buffer_add(to, err_sqlstate(item->failure->code), 5);
        buffer_add_be32(to, item->failure->position);
        buffer_add_sized(to, item->failure->message);
        buffer_add_sized(to, item->failure->detail);
        buffer_add_sized(to, item->failure->hint);
    }
    if ((item->flags & ITEM_COPY_IN) != 0) {
        buffer_add(to, item->data_digest, HASH128_SIZE);
    }
    if ((item->flags & (ITEM_COPY_IN | ITEM_COPY_OUT)) != 0) {
        buffer_add_be32(to, item->copy_columns);
        buffer_add_u8(to, item->copy_binary);
    }
    buffer_add_be32(to, item->column_count);
    for (uint32_t i = 0; i < item->column_count; i++) {
        const struct plan_column *column = &item->columns[i];
        buffer_add_be32(to, column->type);
        buffer_add_be32(to, (uint32_t)column->typmod);
        buffer_add_be32(to, column->table);
        buffer_add_be16(to, (uint16_t)column->attnum);
        buffer_add_sized(to, column->name);
    }
    struct slice rows =
        item->rows.size > 0 ? slice_of(item->rows.data, item->rows.size) : item->kept;
    buffer_add_be64(to, item->row_count);
    buffer_add_be64(to, rows.size);
    buffer_add(to, rows.data, rows.size);
}

static void
take_item(struct reader *reader, struct arena *arena, struct item *item)
{
    memcpy(item->digest, reader_take(reader, HASH128_SIZE), HASH128_SIZE);
    item->flags = *reader_take(reader, 1);
    item->tag = reader_text(reader, arena);
    if ((item->flags & ITEM_FAILED) != 0) {
        struct diag *failure = arena_alloc(arena, sizeof *failure);
        enum err code = err_of_sqlstate((const char *)reader_take(reader, 5));
        code = code == ERR_OK ? ERR_INTERNAL : code;
        uint32_t position = load_be32(reader_take(reader, 4));
        (void)diag_set(failure, code, "%s", reader_text(reader, arena));
        diag_detail(failure, "%s", reader_text(reader, arena));
        diag_hint(failure, "%s", reader_text(reader, arena));
        failure->position = position;
        item->failure = failure;
    }
    if ((item->flags & ITEM_COPY_IN) != 0) {
        memcpy(item->data_digest, reader_take(reader, HASH128_SIZE), HASH128_SIZE);
    }
    if ((item->flags & (ITEM_COPY_IN | ITEM_COPY_OUT)) != 0) {
        item->copy_columns = load_be32(reader_take(reader, 4));
        item->copy_binary = *reader_take(reader, 1) != 0;
    }
    uint32_t count = load_be32(reader_take(reader, 4));
    if (count > reader->rest.size) {
        reader->bad = true;
        return;
    }
    item->column_count = count;
    item->columns = arena_array(arena, (size_t)count + 1, sizeof *item->columns);
    for (uint32_t i = 0; i < count; i++) {
        struct plan_column *column = &item->columns[i];
        column->type = load_be32(reader_take(reader, 4));
        column->typmod = (int32_t)load_be32(reader_take(reader, 4));
        column->table = load_be32(reader_take(reader, 4));
        column->attnum = (int16_t)load_be16(reader_take(reader, 2));
        column->name = reader_text(reader, arena);
        reader->bad = reader->bad || type_by_oid(column->type) == NULL;
    }
    item->row_count = load_be64(reader_take(reader, 8));
    item->kept = reader_run(reader, load_be64(reader_take(reader, 8)));
}

static enum err
corrupt(const char *key, struct diag *diag)
{
    return diag_set(
        diag, ERR_CORRUPT, "the outcome kept for idempotency key \"%s\" is damaged", key);
}

/* ---- the beginning and end of a claim -------------------------------------------------------- */

static void
item_destroy(struct item *item)
{
    buffer_destroy(&item->rows);
}

void
idempotency__forget(struct sql_session *session)
{
    struct idempotency *idem = session->idempotency;
    if (idem == NULL) {
        return;
    }
    for (uint32_t i = 0; i < idem->count && !idem->replays; i++) {
        item_destroy(&idem->items[i]);
    }
    buffer_destroy(&idem->data.block);
    buffer_destroy(&idem->tree_key);
    mem_free(idem->items);
    arena_destroy(&idem->arena);
    mem_free(idem);
    session->idempotency = NULL;
}

static bool
in_claimed_transaction(const struct sql_session *session)
{
    return session->idempotency != NULL;
}

enum err
idempotency__may_set(struct sql_session *session, const char *key, struct diag *diag)
{
    bool none = key == NULL || key[0] == '\0';
    if (!none && strlen(key) > KEY_SIZE_MAX) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "an idempotency key has at most %d bytes", KEY_SIZE_MAX);
    }
    if (in_claimed_transaction(session)) {
        return !none && strcmp(key, session->idempotency->key) == 0
                   ? ERR_OK
                   : diag_set(diag, ERR_ACTIVE_TRANSACTION,
                         "tusk.idempotency_key cannot be changed in a transaction that has one");
    }
    bool begun = session->block == BLOCK_FAILED ||
                 (session->block != BLOCK_NONE &&
                     (txn_has_snapshot(session->txn) || session->savepoint_count > 0));
    if (!none && begun) {
        return diag_set(diag, ERR_ACTIVE_TRANSACTION,
            "tusk.idempotency_key must be set before the transaction's first query or savepoint");
    }
    return ERR_OK;
}

static enum err
session_role(struct task *task, struct sql_session *session, oid_t *role, struct diag *diag)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
    const struct role *found = catalog_role(catalog, session->env.session_user);
    *role = found == NULL ? 0 : found->oid;
    catalog_release(catalog);
    return ERR_OK;
}

/* Each database has keys of its own. Those of the first one begin with the role, as they did when
 * there was no other; no role is 0. */
void
idempotency__add_owner(struct buffer *to, oid_t database, oid_t role)
{
    if (database != DATABASE_POSTGRES) {
        buffer_add_be32(to, 0);
        buffer_add_be32(to, database);
    }
    buffer_add_be32(to, role);
}

/* The first bytes of a value. */
static bool
read_head(struct reader *reader, int64_t *committed, uint32_t *count)
{
    reader->bad = *reader_take(reader, 1) != VALUE_VERSION;
    *committed = (int64_t)load_be64(reader_take(reader, 8));
    *count = load_be32(reader_take(reader, 4));
    return !reader->bad && *count <= reader->rest.size;
}

static void
put_head(struct buffer *to, int64_t committed, uint32_t count)
{
    buffer_add_u8(to, VALUE_VERSION);
    buffer_add_be64(to, (uint64_t)committed);
    buffer_add_be32(to, count);
}

bool
idempotency__committed_at(struct slice value, int64_t *committed)
{
    struct reader reader = {.rest = value};
    uint32_t count;
    return read_head(&reader, committed, &count);
}

/* What only this node knows goes: OIDs of tables, and values of users' types with their rows. */
static void
make_portable(struct item *item)
{
    for (uint32_t i = 0; i < item->column_count; i++) {
        item->columns[i].table = 0;
        item->columns[i].attnum = 0;
        if (item->columns[i].type >= OID_FIRST_USER) {
            item->columns[i].type = TYPE_TEXT;
            item->columns[i].typmod = -1;
            item->flags |= ITEM_ROWS_LOST;
            item->kept = (struct slice){0};
        }
    }
}

bool
idempotency__add_portable(struct slice value, struct arena *arena, struct buffer *to)
{
    struct reader reader = {.rest = value};
    int64_t committed = 0;
    uint32_t count = 0;
    if (!read_head(&reader, &committed, &count)) {
        return false;
    }
    put_head(to, committed, count);
    for (uint32_t i = 0; i < count && !reader.bad; i++) {
        struct item item = {0};
        take_item(&reader, arena, &item);
        make_portable(&item);
        put_item(&item, to);
    }
    return !reader.bad && reader.rest.size == 0;
}

static enum err
read_outcome(struct idempotency *idem, struct slice value, struct diag *diag)
{
    struct reader reader = {.rest = value};
    int64_t committed = 0;
    if (!read_head(&reader, &committed, &idem->count)) {
        idem->count = 0;
        return corrupt(idem->key, diag);
    }
    idem->replays = true;
    idem->items = mem_array((size_t)idem->count + 1, sizeof *idem->items);
    for (uint32_t i = 0; i < idem->count; i++) {
        take_item(&reader, &idem->arena, &idem->items[i]);
    }
    return reader.bad || reader.rest.size > 0 ? corrupt(idem->key, diag) : ERR_OK;
}

/* The row stands there, whose time is over: it becomes ours. *taken false: it has changed. */
static enum err
take_over(struct task *task, struct sql_session *session, struct idempotency *idem,
    const struct txn_row *existing, bool *taken, struct diag *diag)
{
    struct txn_row latest;
    enum txn_outcome outcome = TXN_GONE;
    TRY(txn_update(task, session->txn, txn_statement_begin(session->txn), keys_tree(),
        slice_of(idem->tree_key.data, idem->tree_key.size), existing->version, slice_of("", 0),
        &idem->arena, &latest, &outcome, diag));
    *taken = outcome == TXN_DONE;
    return ERR_OK;
}

/* Ours, or somebody's outcome. Sleeps while another transaction has the key. */
static enum err
claim(struct task *task, struct sql_session *session, struct idempotency *idem, struct diag *diag)
{
    oid_t role = 0;
    TRY(session_role(task, session, &role, diag));
    idempotency__add_owner(&idem->tree_key, session->database_oid, role);
    buffer_add_text(&idem->tree_key, idem->key);
    struct slice key = slice_of(idem->tree_key.data, idem->tree_key.size);
    for (;;) {
        struct txn_row existing;
        (void)txn_statement_begin(session->txn);
        enum err err = txn_insert(
            task, session->txn, keys_tree(), key, slice_of("", 0), &idem->arena, &existing, diag);
        if (err != ERR_UNIQUE) {
            return err;
        }
        struct reader reader = {.rest = existing.value};
        int64_t committed = 0;
        uint32_t count = 0;
        if (!read_head(&reader, &committed, &count)) {
            return corrupt(idem->key, diag);
        }
        bool taken = false;
        if (idempotency__is_over(session, committed)) {
            TRY(take_over(task, session, idem, &existing, &taken, diag));
            if (taken) {
                return ERR_OK;
            }
            continue;
        }
        TRY(read_outcome(idem, existing.value, diag));
        if (session->notice_level == 0) {
            session__warn(session, "NOTICE", ERR_OK,
                "a transaction with idempotency key \"%s\" has committed: this one is answered as "
                "that was, and changes nothing",
                idem->key);
        }
        return ERR_OK;
    }
}

static const struct sql_sink watching_sink;

enum err
idempotency__claim(struct task *task, struct sql_session *session, struct diag *diag)
{
    if (in_claimed_transaction(session)) {
        return ERR_OK;
    }
    if (txn_read_only(session->txn)) {
        return diag_set(diag, ERR_READ_ONLY_TRANSACTION,
            "a read-only transaction cannot have an idempotency key");
    }
    struct idempotency *idem = mem_zalloc(sizeof *idem);
    arena_create(&idem->arena, "idempotency");
    (void)snprintf(idem->key, sizeof idem->key, "%s", session->idempotency_key);
    idem->sink = watching_sink;
    idem->sink.arg = idem;
    session->idempotency = idem;
    enum err err = claim(task, session, idem, diag);
    if (err != ERR_OK) {
        idempotency__forget(session);
    }
    return err;
}

/* I2. The whole outcome into the row, with a line in the order of ages. */
static enum err
write_outcome(
    struct task *task, struct sql_session *session, struct idempotency *idem, struct diag *diag)
{
    int64_t committed = now_us(session);
    struct slice key = slice_of(idem->tree_key.data, idem->tree_key.size);
    struct buffer value = {0};
    put_head(&value, committed, idem->count);
    for (uint32_t i = 0; i < idem->count; i++) {
        put_item(&idem->items[i], &value);
    }
    struct txn_row row;
    bool found = false;
    struct txn_snapshot snapshot = txn_statement_begin(session->txn);
    enum err err =
        txn_get(task, session->txn, snapshot, keys_tree(), key, &idem->arena, &row, &found, diag);
    if (err == ERR_OK) {
        ASSERT(found);
        enum txn_outcome outcome = TXN_GONE;
        struct txn_row latest;
        err = txn_update(task, session->txn, snapshot, keys_tree(), key, row.version,
            slice_of(value.data, value.size), &idem->arena, &latest, &outcome, diag);
        ASSERT(err != ERR_OK || outcome == TXN_DONE);
    }
    buffer_destroy(&value);
    return err == ERR_OK ? idempotency__add_buckets(task, session, key, committed, idem->buckets,
                               idem->bucket_count, diag)
                         : err;
}

static enum err
mismatch(const struct idempotency *idem, const char *why, struct diag *diag)
{
    (void)diag_set(diag, ERR_IDEMPOTENCY_MISMATCH,
        "idempotency key \"%s\" belongs to a transaction with other statements", idem->key);
    diag_detail(diag, "%s", why);
    diag_hint(diag, "A key names one request: use a new one for another.");
    return ERR_IDEMPOTENCY_MISMATCH;
}

enum err
idempotency__before_commit(struct task *task, struct sql_session *session, struct diag *diag)
{
    struct idempotency *idem = session->idempotency;
    if (idem == NULL) {
        return ERR_OK;
    }
    if (idem->replays) { /* I3 */
        return idem->at == idem->count
                   ? ERR_OK
                   : mismatch(idem, "The first transaction had more statements.", diag);
    }
    TRY(idempotency__check_buckets(task, session,
        slice_of(idem->tree_key.data, idem->tree_key.size), idem->buckets, idem->bucket_count,
        diag));
    TRY(write_outcome(task, session, idem, diag));
    txn_set_idempotency_key(session->txn, slice_of(idem->key, strlen(idem->key)));
    return ERR_OK;
}

void
idempotency__after_commit(struct sql_session *session)
{
    const struct idempotency *idem = session->idempotency;
    if (idem == NULL) {
        return;
    }
    /* A key given by SET, not SET LOCAL, was for this transaction. */
    if (strcmp(session->idempotency_key, idem->key) == 0) {
        struct diag ignored;
        idempotency__forget(session);
        (void)settings__set_value(session, "tusk.idempotency_key", NULL, false, &ignored);
        settings__commit(session);
    }
    idempotency__forget(session);
}

/* ---- the first run: what its statements are answered ----------------------------------------- */

static void
keep_columns(struct idempotency *idem, const struct plan_column *columns, uint32_t count)
{
    struct item *item = idem->item;
    if ((item->flags & ITEM_COLUMNS) != 0) {
        return;
    }
    item->flags |= ITEM_COLUMNS;
    item->columns = arena_array(&idem->arena, (size_t)count + 1, sizeof *item->columns);
    item->column_count = count;
    for (uint32_t i = 0; i < count; i++) {
        item->columns[i] = columns[i];
        item->columns[i].name = arena_strdup(&idem->arena, columns[i].name);
    }
}

static void
lose_rows(struct idempotency *idem, struct item *item)
{
    item->flags |= ITEM_ROWS_LOST;
    idem->rows_size -= item->rows.size;
    buffer_destroy(&item->rows);
    item->rows = (struct buffer){0};
}

static enum err
watch_describe(struct task *task, void *arg, const struct plan_column *columns, uint32_t count,
    struct diag *diag)
{
    struct idempotency *idem = arg;
    keep_columns(idem, columns, count);
    return idem->client->describe(task, idem->client->arg, columns, count, diag);
}

/* The bytes that have come to the item's rows since `before`. */
static void
count_rows(struct idempotency *idem, size_t before, uint64_t limit)
{
    struct item *item = idem->item;
    idem->rows_size += item->rows.size - before;
    if (idem->rows_size > limit) {
        lose_rows(idem, item);
    }
}

static uint64_t
rows_limit(const struct sql_session *session)
{
    return (uint64_t)strtoll(settings__value(session, "tusk.idempotency_result_size"), NULL, 10) *
           1024;
}

static enum err
watch_row(struct task *task, void *arg, const struct plan_column *columns,
    const struct datum *values, uint32_t count, const bool *binary, struct diag *diag)
{
    struct idempotency *idem = arg;
    struct item *item = idem->item;
    keep_columns(idem, columns, count);
    item->row_count++;
    if ((item->flags & ITEM_ROWS_LOST) == 0) {
        struct buffer *to = &item->rows;
        size_t before = to->size;
        buffer_add_be32(to, 0);
        for (uint32_t i = 0; i < count; i++) {
            buffer_add_u8(to, values[i].null);
            if (values[i].null) {
                continue;
            }
            const struct type *type = type_by_oid(columns[i].type);
            if (type != NULL && type->by_reference) {
                buffer_add_be32(to, values[i].size);
                buffer_add(to, values[i].p, values[i].size);
            } else {
                buffer_add_be64(to, (uint64_t)values[i].i);
            }
        }
        store_be32(to->data + before, (uint32_t)(to->size - before - 4));
        count_rows(idem, before, idem->rows_limit);
    }
    return idem->client->row(task, idem->client->arg, columns, values, count, binary, diag);
}

static enum err
watch_complete(struct task *task, void *arg, const char *tag, struct diag *diag)
{
    struct idempotency *idem = arg;
    idem->item->flags |= ITEM_DONE;
    idem->item->tag = arena_strdup(&idem->arena, tag);
    return idem->client->complete(task, idem->client->arg, tag, diag);
}

static enum err
watch_empty(struct task *task, void *arg, struct diag *diag)
{
    struct idempotency *idem = arg;
    return idem->client->empty(task, idem->client->arg, diag);
}

static void
watch_notice(void *arg, const char *severity, const struct diag *notice)
{
    struct idempotency *idem = arg;
    idem->client->notice(idem->client->arg, severity, notice);
}

static void
watch_parameter_status(void *arg, const char *name, const char *value)
{
    struct idempotency *idem = arg;
    idem->client->parameter_status(idem->client->arg, name, value);
}

static void
note_copy(struct idempotency *idem, enum item_flags which, uint32_t columns, bool binary)
{
    idem->item->flags |= which;
    idem->item->copy_columns = columns;
    idem->item->copy_binary = binary;
}

static enum err
watch_copy_in_begin(
    struct task *task, void *arg, uint32_t column_count, bool binary, struct diag *diag)
{
    struct idempotency *idem = arg;
    note_copy(idem, ITEM_COPY_IN, column_count, binary);
    return idem->client->copy_in_begin(task, idem->client->arg, column_count, binary, diag);
}

static enum err
watch_copy_in_read(struct task *task, void *arg, struct slice *bytes, bool *done, struct diag *diag)
{
    struct idempotency *idem = arg;
    TRY(idem->client->copy_in_read(task, idem->client->arg, bytes, done, diag));
    data_add(&idem->data, *bytes);
    return ERR_OK;
}

static enum err
watch_copy_out_begin(
    struct task *task, void *arg, uint32_t column_count, bool binary, struct diag *diag)
{
    struct idempotency *idem = arg;
    note_copy(idem, ITEM_COPY_OUT, column_count, binary);
    return idem->client->copy_out_begin(task, idem->client->arg, column_count, binary, diag);
}

static enum err
watch_copy_out_row(struct task *task, void *arg, struct slice bytes, struct diag *diag)
{
    struct idempotency *idem = arg;
    struct item *item = idem->item;
    item->row_count++;
    if ((item->flags & ITEM_ROWS_LOST) == 0) {
        size_t before = item->rows.size;
        buffer_add_be32(&item->rows, (uint32_t)bytes.size);
        buffer_add(&item->rows, bytes.data, bytes.size);
        count_rows(idem, before, idem->rows_limit);
    }
    return idem->client->copy_out_row(task, idem->client->arg, bytes, diag);
}

static enum err
watch_copy_out_end(struct task *task, void *arg, struct diag *diag)
{
    struct idempotency *idem = arg;
    return idem->client->copy_out_end(task, idem->client->arg, diag);
}

static const struct sql_sink watching_sink = {
    .describe = watch_describe,
    .row = watch_row,
    .complete = watch_complete,
    .empty = watch_empty,
    .notice = watch_notice,
    .parameter_status = watch_parameter_status,
    .copy_in_begin = watch_copy_in_begin,
    .copy_in_read = watch_copy_in_read,
    .copy_out_begin = watch_copy_out_begin,
    .copy_out_row = watch_copy_out_row,
    .copy_out_end = watch_copy_out_end,
};

static enum err
add_item(struct sql_session *session, struct portal *portal, struct diag *diag)
{
    struct idempotency *idem = session->idempotency;
    if ((uint64_t)idem->count * sizeof *idem->items > OUTCOME_SIZE_MAX) {
        return diag_set(diag, ERR_PROGRAM_LIMIT,
            "too many statements in a transaction with an idempotency key");
    }
    if (idem->count == idem->capacity) {
        idem->capacity = idem->capacity == 0 ? 4 : idem->capacity * 2;
        idem->items = mem_realloc(idem->items, idem->capacity * sizeof *idem->items);
    }
    idem->items[idem->count] = (struct item){0};
    digest_of(session, portal, idem->items[idem->count].digest);
    portal->idempotency_item = ++idem->count;
    return ERR_OK;
}

/* A statement that failed, in a block that may go on: the next transaction gets its error. */
static void
keep_failure(struct idempotency *idem, struct item *item, const struct diag *diag)
{
    lose_rows(idem, item);
    item->row_count = 0;
    item->flags = ITEM_FAILED;
    item->failure = arena_copy(&idem->arena, diag, sizeof *diag);
}

static enum err
run_watched(struct task *task, struct sql_session *session, struct portal *portal,
    uint64_t rows_max, bool describe, bool *suspended, struct diag *diag)
{
    struct idempotency *idem = session->idempotency;
    if (portal->idempotency_item == 0) {
        TRY(add_item(session, portal, diag));
    }
    idem->rows_limit = rows_limit(session);
    idem->item = &idem->items[portal->idempotency_item - 1];
    idem->client = session->sink;
    session->sink = &idem->sink;
    enum err err = portal__run_now(task, session, portal, rows_max, describe, suspended, diag);
    struct idempotency *still = session->idempotency;
    ASSERT(still == idem); /* statements that end transactions are not watched */
    session->sink = idem->client;
    struct item *item = idem->item;
    idem->item = NULL;
    if (err != ERR_OK) {
        keep_failure(idem, item, diag);
    } else if ((item->flags & ITEM_COPY_IN) != 0) {
        data_finish(&idem->data, item->data_digest);
    } else if (portal->prepared->returns_rows) {
        idem->item = item;
        keep_columns(idem, portal->prepared->columns, portal->prepared->column_count);
        idem->item = NULL;
    }
    return err;
}

/* ---- the second: the same answers ------------------------------------------------------------ */

/* A client that knows the columns (extended protocol) must get these. */
static enum err
check_columns(const struct item *item, const struct prepared *prepared, struct diag *diag)
{
    if ((item->flags & ITEM_COLUMNS) == 0) {
        return ERR_OK;
    }
    bool same = prepared->column_count == item->column_count;
    for (uint32_t i = 0; same && i < item->column_count; i++) {
        same = prepared->columns[i].type == item->columns[i].type;
    }
    return same ? ERR_OK
                : diag_set(diag, ERR_IDEMPOTENCY_RESULT,
                      "the statement's result has another type now than when it was first run");
}

static enum err
give_row(struct task *task, struct sql_session *session, const struct item *item,
    struct slice bytes, const bool *binary, struct diag *diag)
{
    const struct sql_sink *sink = session->sink;
    if ((item->flags & ITEM_COPY_OUT) != 0) {
        return sink->copy_out_row(task, sink->arg, bytes, diag);
    }
    struct datum *row =
        arena_array(&session->statement, (size_t)item->column_count + 1, sizeof *row);
    struct reader reader = {.rest = bytes};
    for (uint32_t i = 0; i < item->column_count; i++) {
        if (*reader_take(&reader, 1) != 0) {
            row[i] = datum_null();
        } else if (type_by_oid(item->columns[i].type)->by_reference) {
            struct slice value = reader_run(&reader, load_be32(reader_take(&reader, 4)));
            row[i] = datum_bytes(value.data, value.size);
        } else {
            row[i] = datum_int((int64_t)load_be64(reader_take(&reader, 8)));
        }
    }
    if (reader.bad || reader.rest.size > 0) {
        return corrupt(session->idempotency->key, diag);
    }
    return sink->row(task, sink->arg, item->columns, row, item->column_count, binary, diag);
}

static enum err
give_rows(struct task *task, struct sql_session *session, struct portal *portal,
    const struct item *item, uint64_t rows_max, bool *suspended, struct diag *diag)
{
    struct reader reader = {.rest = slice_of(item->kept.data + portal->idempotency_at,
                                item->kept.size - portal->idempotency_at)};
    for (uint64_t sent = 0; reader.rest.size > 0;) {
        struct arena_mark mark = arena_mark(&session->statement);
        struct slice bytes = reader_run(&reader, load_be32(reader_take(&reader, 4)));
        TRY(reader.bad ? corrupt(session->idempotency->key, diag) : ERR_OK);
        TRY(give_row(task, session, item, bytes, portal->binary, diag));
        TRY(task_breathe(task, diag));
        arena_rewind(&session->statement, mark);
        if (++sent == rows_max) {
            portal->idempotency_at = item->kept.size - reader.rest.size;
            *suspended = true;
            return ERR_OK;
        }
    }
    portal->idempotency_at = item->kept.size;
    return ERR_OK;
}

static enum err
read_copy(
    struct task *task, struct sql_session *session, const struct item *item, struct diag *diag)
{
    struct idempotency *idem = session->idempotency;
    const struct sql_sink *sink = session->sink;
    TRY(sink->copy_in_begin(task, sink->arg, item->copy_columns, item->copy_binary, diag));
    for (bool done = false; !done;) {
        struct slice bytes = {0};
        TRY(sink->copy_in_read(task, sink->arg, &bytes, &done, diag));
        data_add(&idem->data, bytes);
    }
    uint8_t digest[HASH128_SIZE];
    data_finish(&idem->data, digest);
    return memcmp(digest, item->data_digest, HASH128_SIZE) == 0
               ? ERR_OK
               : mismatch(idem, "The data of COPY are others.", diag);
}

static enum err
next_item(struct sql_session *session, struct portal *portal, struct diag *diag)
{
    struct idempotency *idem = session->idempotency;
    if (idem->at >= idem->count) {
        return mismatch(idem, "The first transaction had fewer statements.", diag);
    }
    uint8_t digest[HASH128_SIZE];
    digest_of(session, portal, digest);
    if (memcmp(digest, idem->items[idem->at].digest, HASH128_SIZE) != 0) {
        return mismatch(idem,
            arena_printf(&session->statement, "Statement %u is another one.", idem->at + 1), diag);
    }
    portal->idempotency_item = ++idem->at;
    return ERR_OK;
}

static enum err
replay(struct task *task, struct sql_session *session, struct portal *portal, uint64_t rows_max,
    bool describe, bool *suspended, struct diag *diag)
{
    struct idempotency *idem = session->idempotency;
    const struct sql_sink *sink = session->sink;
    bool first = portal->idempotency_item == 0;
    if (first) {
        TRY(next_item(session, portal, diag));
    }
    const struct item *item = &idem->items[portal->idempotency_item - 1];
    if ((item->flags & ITEM_FAILED) != 0) {
        *diag = *item->failure;
        return diag->code;
    }
    enum ast_kind kind = portal->prepared->statement->body->kind;
    if (kind == AST_DECLARE_CURSOR || kind == AST_CLOSE_CURSOR) {
        /* Nothing is changed by it, and Describe of a FETCH needs the cursor. */
        return portal__run_now(task, session, portal, rows_max, describe, suspended, diag);
    }
    if ((item->flags & ITEM_ROWS_LOST) != 0) {
        (void)diag_set(diag, ERR_IDEMPOTENCY_RESULT,
            "the transaction with idempotency key \"%s\" has committed, but the rows it returned "
            "are not kept",
            idem->key);
        diag_detail(diag, "Statement %u, %s, returned %llu rows.", portal->idempotency_item,
            item->tag, (unsigned long long)item->row_count);
        diag_hint(diag, "tusk.idempotency_result_size says how much is kept.");
        return ERR_IDEMPOTENCY_RESULT;
    }
    if (!describe) {
        TRY(check_columns(item, portal->prepared, diag));
    } else if (first && (item->flags & ITEM_COLUMNS) != 0) {
        TRY(sink->describe(task, sink->arg, item->columns, item->column_count, diag));
    }
    if ((item->flags & ITEM_COPY_IN) != 0) {
        TRY(read_copy(task, session, item, diag));
    }
    if ((item->flags & ITEM_COPY_OUT) != 0) {
        TRY(sink->copy_out_begin(task, sink->arg, item->copy_columns, item->copy_binary, diag));
    }
    TRY(give_rows(task, session, portal, item, rows_max, suspended, diag));
    if (*suspended) {
        return ERR_OK;
    }
    if ((item->flags & ITEM_COPY_OUT) != 0) {
        TRY(sink->copy_out_end(task, sink->arg, diag));
    }
    if ((item->flags & ITEM_DONE) == 0) {
        return mismatch(idem, "The first transaction did not read so many rows.", diag);
    }
    portal->state = PORTAL_DONE;
    return sink->complete(task, sink->arg, item->tag, diag);
}

/* Statements that are part of the request. The others - transactions, settings, what concerns the
 * session only - run as always. */
static bool
counts(const struct prepared *prepared)
{
    const struct ast_node *body = prepared->statement->body;
    if (prepared__is_query(prepared) || ddl_handles(body) || body__handles(body)) {
        return true;
    }
    switch (body->kind) {
    case AST_CREATE_TABLE_AS:
    case AST_DECLARE_CURSOR:
    case AST_FETCH:
    case AST_CLOSE_CURSOR:
    case AST_COPY:
    case AST_EXECUTE:
    case AST_EXPLAIN:
        return true;
    case AST_NOTIFY:
        return ast_as_notify(body)->kind == AST_NOTIFY_NOTIFY;
    default:
        return false;
    }
}

/* I4. Those of the first statement that was sent for buckets. Who is answered from the key holds
 * them, too (I5): so his other statements are sent to this node as well. */
static enum err
note_buckets(struct task *task, struct sql_session *session, struct diag *diag)
{
    struct idempotency *idem = session->idempotency;
    const struct shard_route *route = route__current(session);
    if (idem->bucket_count > 0 || route == NULL ||
        buckets_node(session->engine->catalogs)[0] == '\0') {
        return ERR_OK;
    }
    idem->bucket_count = idempotency__routed(route, &idem->arena, &idem->buckets);
    return idem->replays ? idempotency__check_buckets(task, session, slice_of("", 0), idem->buckets,
                               idem->bucket_count, diag)
                         : ERR_OK;
}

enum err
idempotency__run(struct task *task, struct sql_session *session, struct portal *portal,
    uint64_t rows_max, bool describe, bool *suspended, struct diag *diag)
{
    const struct idempotency *idem = session->idempotency;
    bool inner = idem != NULL && idem->item != NULL; /* of EXECUTE */
    if (inner || !counts(portal->prepared)) {
        return portal__run_now(task, session, portal, rows_max, describe, suspended, diag);
    }
    TRY(idempotency__claim(task, session, diag));
    TRY(note_buckets(task, session, diag));
    return session->idempotency->replays
               ? replay(task, session, portal, rows_max, describe, suspended, diag)
               : run_watched(task, session, portal, rows_max, describe, suspended, diag);
}

/* ---- keys whose time is over ----------------------------------------------------------------- */

/* The row that a line of the ages tells of, unless it is a later transaction's. */
static enum err
expire_one(
    struct task *task, struct txn *txn, struct slice age, struct arena *arena, struct diag *diag)
{
    struct slice key = slice_of(age.data + 8, age.size - 8);
    struct txn_row row;
    bool found = false;
    enum txn_outcome outcome;
    struct txn_snapshot snapshot = txn_statement_begin(txn);
    TRY(txn_get(task, txn, snapshot, keys_tree(), key, arena, &row, &found, diag));
    struct reader reader = {.rest = found ? row.value : (struct slice){0}};
    int64_t committed = 0;
    uint32_t count = 0;
    if (found && read_head(&reader, &committed, &count) &&
        (uint64_t)committed == load_be64(age.data)) {
        TRY(txn_remove(
            task, txn, snapshot, keys_tree(), key, row.version, arena, &row, &outcome, diag));
    }
    TRY(txn_get(task, txn, snapshot, ages_tree(), age, arena, &row, &found, diag));
    if (found) {
        TRY(idempotency__remove_buckets(
            task, txn, key, (int64_t)load_be64(age.data), row.value, arena, diag));
    }
    return found ? txn_remove(task, txn, snapshot, ages_tree(), age, row.version, arena, &row,
                       &outcome, diag)
                 : ERR_OK;
}

/* The oldest ones, in one transaction. *more: there may be others. */
static enum err
expire_some(struct task *task, struct txn *txn, int64_t until, struct arena *arena, bool *more,
    struct diag *diag)
{
    uint8_t high[8];
    store_be64(high, (uint64_t)until);
    const struct txn_range range = {.high = slice_of(high, sizeof high), .has_high = true};
    struct slice ages[EXPIRE_BATCH];
    size_t count = 0;
    struct txn_scan *scan = NULL;
    TRY(txn_scan_open(
        task, txn, txn_statement_begin(txn), ages_tree(), &range, false, arena, &scan, diag));
    enum err err = ERR_OK;
    while (count < EXPIRE_BATCH) {
        struct txn_row row;
        bool found = false;
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err != ERR_OK || !found) {
            break;
        }
        if (row.key.size > 8) {
            ages[count++] = slice_of(arena_copy(arena, row.key.data, row.key.size), row.key.size);
        }
    }
    txn_scan_close(task, scan);
    *more = count == EXPIRE_BATCH;
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        err = expire_one(task, txn, ages[i], arena, diag);
    }
    return err;
}

void
idempotency__expire(struct task *task, struct sql_engine *engine, struct txn *txn)
{
    int64_t until = world_wall_us(engine->world) - EPOCH_US - idempotency__ttl_us(engine);
    struct arena arena;
    struct diag diag;
    arena_create(&arena, "expired keys");
    bool more = until > 0;
    while (more && !atomic_load(&engine->analyzer_stopping)) {
        more = false;
        if (txn_begin(task, txn, TXN_READ_COMMITTED, false, &diag) != ERR_OK) {
            break;
        }
        enum err err = expire_some(task, txn, until, &arena, &more, &diag);
        if (err == ERR_OK) {
            err = txn_commit(task, txn, &diag);
        } else {
            txn_rollback(task, txn);
        }
        if (err != ERR_OK) {
            if (!atomic_load(&engine->analyzer_stopping)) {
                world_log(engine->world, "old idempotency keys were not removed: %s", diag.message);
            }
            break;
        }
        arena_reset(&arena);
    }
    arena_destroy(&arena);
}

/* ---- tusk_idempotency_keys ------------------------------------------------------------------- */

/* "INSERT 0 1; UPDATE 2", and the digests of all statements as one. */
static bool
describe_outcome(struct slice value, struct arena *arena, int64_t *committed, uint32_t *count,
    struct buffer *tags, uint8_t digest[HASH128_SIZE])
{
    struct reader reader = {.rest = value};
    if (!read_head(&reader, committed, count)) {
        return false;
    }
    struct buffer digests = {0};
    for (uint32_t i = 0; i < *count && !reader.bad; i++) {
        struct item item = {0};
        take_item(&reader, arena, &item);
        buffer_add(&digests, item.digest, HASH128_SIZE);
        buffer_add_text(tags, i == 0 ? "" : "; ");
        buffer_add_text(tags, (item.flags & ITEM_FAILED) != 0 ? "ERROR" : item.tag);
    }
    hash128(digests.data, digests.size, digest);
    buffer_destroy(&digests);
    return !reader.bad;
}

bool
idempotency__same_request(struct slice a, struct slice b, struct arena *arena)
{
    uint8_t digests[2][HASH128_SIZE];
    struct buffer tags = {0};
    int64_t committed;
    uint32_t count;
    bool good = describe_outcome(a, arena, &committed, &count, &tags, digests[0]) &&
                describe_outcome(b, arena, &committed, &count, &tags, digests[1]);
    buffer_destroy(&tags);
    return good && memcmp(digests[0], digests[1], HASH128_SIZE) == 0;
}

struct key_rows {
    struct eval *eval;
    const struct catalog *catalog;
    int64_t ttl;
    oid_t own, database;
    bool all;
    enum err (*emit)(void *arg, const struct datum *values);
    void *arg;
};

static enum err
emit_key(struct key_rows *rows, const struct txn_row *row)
{
    struct arena *arena = rows->eval->arena;
    struct reader reader = {.rest = row->key};
    oid_t database = DATABASE_POSTGRES;
    oid_t role = load_be32(reader_take(&reader, 4));
    if (role == 0) {
        database = load_be32(reader_take(&reader, 4));
        role = load_be32(reader_take(&reader, 4));
    }
    struct slice text = reader.rest;
    int64_t committed = 0;
    uint32_t count = 0;
    uint8_t digest[HASH128_SIZE];
    struct buffer tags = {0};
    bool good = text.size > 0 && database == rows->database && (rows->all || role == rows->own) &&
                describe_outcome(row->value, arena, &committed, &count, &tags, digest);
    enum err err = ERR_OK;
    if (good) {
        const struct role *owner = catalog_role_by_oid(rows->catalog, role);
        const char *name =
            owner == NULL ? arena_printf(arena, "%u", role) : arena_strdup(arena, owner->name);
        char hex[2 * HASH128_SIZE + 1];
        for (size_t i = 0; i < HASH128_SIZE; i++) {
            (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
        }
        struct datum values[] = {
            datum_bytes(name, strlen(name)),
            datum_bytes(arena_copy(arena, text.data, text.size), text.size),
            datum_int(committed),
            datum_int(committed + rows->ttl),
            datum_bytes(arena_strdup(arena, hex), 2 * HASH128_SIZE),
            datum_int(count),
            datum_bytes(arena_copy(arena, tags.data, tags.size), tags.size),
            datum_int((int64_t)row->value.size),
        };
        err = rows->emit(rows->arg, values);
    }
    buffer_destroy(&tags);
    return err;
}

static enum err
scan_committed(struct task *task, struct txn *txn, struct key_rows *rows, struct diag *diag)
{
    struct txn_scan *scan = NULL;
    const struct txn_range all = {0};
    TRY(txn_scan_open(task, txn, txn_statement_begin(txn), keys_tree(), &all, false,
        rows->eval->arena, &scan, diag));
    enum err err = ERR_OK;
    for (bool found = true; err == ERR_OK && found;) {
        struct txn_row row;
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err == ERR_OK && found) {
            err = emit_key(rows, &row);
        }
        if (err == ERR_OK) {
            err = task_breathe(task, diag);
        }
    }
    txn_scan_close(task, scan);
    return err;
}

static enum err
scan_keys(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    struct sql_session *session = eval->env->session;
    if (session == NULL) {
        return ERR_OK;
    }
    const struct role *role = catalog_role(catalog, session->env.user);
    struct key_rows rows = {.eval = eval,
        .catalog = catalog,
        .ttl = idempotency__ttl_us(session->engine),
        .own = role == NULL ? 0 : role->oid,
        .database = session->database_oid,
        .all = role != NULL && role->superuser,
        .emit = emit,
        .arg = arg};
    /* What is committed, whatever the asking transaction's snapshot. */
    struct txn *txn = txn_new(session->engine->db, 0);
    enum err err = txn_begin(eval->task, txn, TXN_READ_COMMITTED, true, eval->diag);
    if (err == ERR_OK) {
        err = scan_committed(eval->task, txn, &rows, eval->diag);
        if (err == ERR_OK) {
            err = txn_commit(eval->task, txn, eval->diag);
        } else {
            txn_rollback(eval->task, txn);
        }
    }
    txn_delete(eval->task, txn);
    return err;
}

void
idempotency__register(void)
{
    catalog_set_virtual_scan("tusk_idempotency_keys", scan_keys);
}
