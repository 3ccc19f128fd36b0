/*
 * sql/session/shard.c - buckets in SQL: tusk_buckets, tusk_nodes, and what routers and movers call.
 *
 *     tusk_bucket(table, value)                  the bucket of a value, given as text
 *     tusk_assign_buckets(group, buckets, epoch) these ("0-31,64") are this node's from now on
 *     tusk_route_epoch(epoch)                    routes of other epochs are refused from now on
 *     tusk_hlc()                                 this node's clock
 */
#include <string.h>

#include "shard/lease.h"
#include "sql/catalog/buckets.h"
#include "sql/session/session_internal.h"

typedef enum err emit_row(void *arg, const struct datum *values);

static struct datum
text_datum(const char *text)
{
    return datum_bytes(text, strlen(text));
}

static char *
text_of(struct eval *eval, struct datum datum)
{
    return arena_strndup(eval->arena, (const char *)datum.p, datum.size);
}

/* ---- views ----------------------------------------------------------------------------------- */

struct bucket_rows {
    struct eval *eval;
    emit_row *emit;
    void *arg;
};

static enum err
emit_bucket(void *arg, const char *group, uint32_t bucket, const struct bucket_record *record)
{
    const struct bucket_rows *rows = arg;
    if (bucket >= SHARD_BUCKETS_MAX) {
        return ERR_OK; /* the group's own */
    }
    struct datum values[] = {
        text_datum(arena_strdup(rows->eval->arena, group)),
        datum_int(bucket),
        text_datum(bucket_state_name(record->state)),
        record->node[0] == '\0' ? datum_null()
                                : text_datum(arena_strdup(rows->eval->arena, record->node)),
        datum_int((int64_t)record->epoch),
        datum_int((int64_t)record->attempt),
    };
    return rows->emit(rows->arg, values);
}

static enum err
scan_buckets(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    struct sql_session *session = eval->env->session;
    if (session == NULL) {
        return ERR_OK;
    }
    struct arena arena;
    arena_create(&arena, "buckets");
    struct bucket_rows rows = {.eval = eval, .emit = emit, .arg = arg};
    struct txn_snapshot newest = {
        .lsn = txn_db_visible_lsn(session->engine->db), .command = UINT32_MAX};
    enum err err =
        buckets_each(eval->task, session->txn, newest, &arena, emit_bucket, &rows, eval->diag);
    arena_destroy(&arena);
    return err;
}

/* Of the whole cluster the router knows; a server knows itself. */
static enum err
scan_nodes(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    struct sql_session *session = eval->env->session;
    const char *name = session == NULL ? "" : buckets_node(session->engine->catalogs);
    if (name[0] == '\0') {
        return ERR_OK;
    }
    const struct shard_lease *lease = session->engine->lease;
    struct datum values[] = {
        text_datum(name),
        text_datum(sql_config_text(session->config, "listen_addresses")),
        datum_int(sql_config_integer(session->config, "port")),
        lease == NULL ? datum_null() : datum_int((int64_t)shard_lease_epoch(lease)),
        lease == NULL ? datum_null() : datum_float((double)shard_lease_left_us(lease) / 1e6),
    };
    return emit(arg, values);
}

/* ---- functions ------------------------------------------------------------------------------- */

static enum err
session_of(struct eval *eval, struct sql_session **session)
{
    *session = eval->env->session;
    return *session != NULL
               ? ERR_OK
               : diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session");
}

enum err
buckets__superuser(struct eval *eval, struct sql_session **session)
{
    TRY(session_of(eval, session));
    const struct role *role = catalog_role(eval->env->catalog, eval->env->user);
    if (role == NULL || !role->superuser) {
        return diag_set(eval->diag, ERR_INSUFFICIENT_PRIVILEGE,
            "permission denied: only a superuser may change where buckets are");
    }
    if (txn_read_only((*session)->txn)) {
        return diag_set(eval->diag, ERR_READ_ONLY_TRANSACTION,
            "buckets cannot be changed in a read-only transaction");
    }
    return ERR_OK;
}

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

FN(bucket_of)
{
    (void)count;
    const struct relation *relation = catalog_relation_by_oid(eval->env->catalog, (oid_t)args[0].i);
    if (relation == NULL || relation->sharding == NULL ||
        relation->sharding->scheme.kind == SHARD_REPLICATED) {
        return diag_set(eval->diag, ERR_WRONG_OBJECT_TYPE, "this is no table that has buckets");
    }
    const struct sharding *sharding = relation->sharding;
    const struct column *column = &relation->columns[sharding->column];
    struct datum value;
    TRY(type_input(eval, column->type, column->typmod, slice_of(args[1].p, args[1].size), &value));
    struct buffer key = {0};
    key_encode(&key, column->type, value, 0);
    uint32_t bucket;
    *result = shard_bucket(&sharding->scheme, slice_of(key.data, key.size), &bucket)
                  ? datum_int(bucket)
                  : datum_null();
    buffer_destroy(&key);
    return ERR_OK;
}

static enum err
assign(struct eval *eval, struct sql_session *session, struct bucket_group *group, uint32_t bucket,
    uint64_t epoch, int64_t *changed)
{
    struct catalog_store *store = session->engine->catalogs;
    struct bucket_record record;
    TRY(buckets_lock(eval->task, session->txn, group, bucket, true, eval->diag));
    TRY(buckets_get(
        eval->task, store, session->txn, group, bucket, eval->arena, &record, eval->diag));
    if (record.state == BUCKET_OWNED) {
        return ERR_OK;
    }
    if (record.state != BUCKET_ELSEWHERE) {
        return diag_set(eval->diag, ERR_OBJECT_STATE, "bucket %u is %s: only a move changes that",
            bucket, bucket_state_name(record.state));
    }
    (*changed)++;
    record = (struct bucket_record){.state = BUCKET_OWNED, .epoch = epoch, .node = ""};
    return buckets_put(eval->task, store, session->txn, group, bucket, &record, eval->diag);
}

FN(assign_buckets)
{
    (void)count;
    struct sql_session *session;
    TRY(buckets__superuser(eval, &session));
    struct shard_route_group list;
    TRY(shard_ranges_parse(eval->arena, (const char *)args[1].p, args[1].size, &list, eval->diag));
    struct bucket_group *group = buckets_group(session->engine->catalogs, text_of(eval, args[0]));
    int64_t changed = 0;
    for (size_t i = 0; i < list.range_count; i++) {
        for (uint32_t bucket = list.ranges[i].first; bucket <= list.ranges[i].last; bucket++) {
            TRY(assign(eval, session, group, bucket, (uint64_t)args[2].i, &changed));
        }
    }
    *result = datum_int(changed);
    return ERR_OK;
}

FN(route_epoch)
{
    (void)count;
    struct sql_session *session;
    TRY(buckets__superuser(eval, &session));
    *result = datum_int(0);
    return buckets_put_epoch(
        eval->task, session->engine->catalogs, session->txn, (uint64_t)args[0].i, eval->diag);
}

FN(hlc)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    *result = datum_int((int64_t)txn_db_hlc(session->engine->db));
    return ERR_OK;
}

enum {
    STABLE = FUNCTION_STRICT | FUNCTION_STABLE,
    VOLATILE = FUNCTION_STRICT | FUNCTION_VOLATILE,
};

static const struct function functions[] = {
    {"tusk_bucket", 0, TYPE_INT4, 2, 2, STABLE, {TYPE_REGCLASS, TYPE_TEXT}, bucket_of, NULL, NULL},
    {"tusk_assign_buckets", 0, TYPE_INT8, 3, 3, VOLATILE, {TYPE_TEXT, TYPE_TEXT, TYPE_INT8},
        assign_buckets, NULL, NULL},
    {"tusk_route_epoch", 0, TYPE_VOID, 1, 1, VOLATILE, {TYPE_INT8}, route_epoch, NULL, NULL},
    {"tusk_hlc", 0, TYPE_INT8, 0, 0, VOLATILE, {0}, hlc, NULL, NULL},
};

void
buckets__register(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
    catalog_set_virtual_scan("tusk_buckets", scan_buckets);
    catalog_set_virtual_scan("tusk_nodes", scan_nodes);
}
