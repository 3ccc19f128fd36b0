/*
 * saga/place.c - where a saga's rows are: in this node's trees, or in a bucket of a cluster.
 *
 * In a cluster a saga's instance and key are in a bucket of SAGA_LOG_TABLE, and the record of a
 * step is in the very bucket whose rows the step changes: a table per group, colocated. So what a
 * bucket's new owner gets with the rows is also which steps have changed them, and a step that is
 * delivered to the old owner, or again to the new one, finds its record or is refused (S7).
 */
#include "saga/saga_internal.h"

#include <stdio.h>

#include "base/hash.h"
#include "sql/catalog/buckets.h"
#include "sql/catalog/index_key.h"

enum {
    COLUMN_SHARD,
    COLUMN_ID,
    COLUMN_VALUE,
    COLUMN_COUNT,
};

uint32_t
saga_slot_of_key(const char *role, const char *key)
{
    return (uint32_t)(hash64(key, strlen(key), hash64(role, strlen(role), 0)) % SAGA_SLOTS);
}

uint32_t
saga_slot(uint64_t number)
{
    return (uint32_t)(number % SAGA_SLOTS);
}

void
saga_steps_table(const char *group, char name[32])
{
    (void)snprintf(name, 32, "steps_%016llx", (unsigned long long)hash64(group, strlen(group), 0));
}

/* The newest picture, and a lock under which the table stays. */
static enum err
open_place(struct task *task, struct catalog_store *store, struct txn *txn, const char *table,
    bool reads, struct saga_place *place, struct diag *diag)
{
    place->store = store;
    for (;;) {
        TRY(catalog_get(task, store, txn, &place->catalog, diag));
        place->relation = catalog_relation(place->catalog, SAGA_SCHEMA, table);
        if (place->relation == NULL) {
            return ERR_OK;
        }
        TRY(txn_lock_table(task, txn, place->relation->oid, table,
            reads ? TXN_ACCESS_SHARE : TXN_ROW_EXCLUSIVE, TXN_WAIT, diag));
        if (catalog_is_current(place->catalog, store, txn)) {
            break;
        }
        catalog_release(place->catalog);
        place->catalog = NULL;
    }
    const struct relation *relation = place->relation;
    bool sound = relation->kind == RELATION_TABLE && relation->column_count == COLUMN_COUNT &&
                 relation->index_count == 1 && relation->primary != NULL &&
                 relation->sharding != NULL && relation->sharding->column == COLUMN_SHARD &&
                 relation->columns[COLUMN_ID].type == TYPE_BYTEA &&
                 relation->columns[COLUMN_VALUE].type == TYPE_BYTEA;
    return sound ? ERR_OK
                 : diag_set(diag, ERR_OBJECT_STATE,
                       "table " SAGA_SCHEMA ".%s is not what sagas need", table);
}

bool
saga__in_cluster(struct sql_engine *engine)
{
    return buckets_node(sql_engine_catalogs(engine))[0] != '\0';
}

enum err
saga__check_database(struct sql_session *session, struct diag *diag)
{
    return !saga__in_cluster(sql_session_engine(session)) ||
                   strcmp(sql_session_database(session), SAGA_DATABASE) == 0
               ? ERR_OK
               : diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                     "the sagas of a cluster are in its database, \"" SAGA_DATABASE "\"");
}

static enum err
make_place(struct task *task, struct catalog_store *store, struct txn *txn, const char *table,
    bool reads, struct arena *arena, struct saga_place **place, struct diag *diag)
{
    *place = arena_alloc(arena, sizeof **place);
    enum err err = open_place(task, store, txn, table, reads, *place, diag);
    if (err != ERR_OK || (*place)->relation == NULL) {
        saga__place_end(*place);
        *place = NULL;
    }
    return err;
}

enum err
saga__place_home(struct task *task, struct sql_engine *engine, struct txn *txn, uint32_t slot,
    bool reads, struct arena *arena, struct saga_place **place, struct diag *diag)
{
    struct catalog_store *store = sql_engine_catalogs(engine);
    *place = NULL;
    if (buckets_node(store)[0] == '\0') {
        return ERR_OK;
    }
    TRY(make_place(task, store, txn, SAGA_LOG_TABLE, reads, arena, place, diag));
    if (*place != NULL) {
        (*place)->shard = datum_int(slot);
    }
    return ERR_OK;
}

static bool
is_integer(oid_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

static bool
is_text(oid_t type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR;
}

bool
saga__key_fits(oid_t param, oid_t column)
{
    return param == column || (is_integer(param) && is_integer(column)) ||
           (is_text(param) && is_text(column));
}

enum err
saga__place_step(struct task *task, struct sql_session *session, const struct saga_step *step,
    const struct datum *params, const oid_t *param_types, struct arena *arena,
    struct saga_place **place, struct diag *diag)
{
    struct catalog_store *store = sql_engine_catalogs(sql_session_engine(session));
    struct txn *txn = sql_session_txn(session);
    struct catalog *catalog = NULL;
    char table[32] = "";
    *place = NULL;
    if (buckets_node(store)[0] == '\0') {
        return ERR_OK;
    }
    TRY(catalog_get(task, store, txn, &catalog, diag));
    const struct relation *relation = catalog_relation(catalog, step->schema, step->table);
    if (relation != NULL && relation->sharding != NULL &&
        relation->sharding->scheme.kind != SHARD_REPLICATED) {
        saga_steps_table(relation->sharding->group, table);
    }
    catalog_release(catalog);
    if (table[0] == '\0') {
        return ERR_OK;
    }
    TRY(make_place(task, store, txn, table, false, arena, place, diag));
    if (*place == NULL) {
        return diag_set(diag, ERR_OBJECT_STATE,
            "there is no table of records for steps on table \"%s\": create the saga through the "
            "router",
            step->table);
    }
    enum err err = ERR_OK;
    oid_t type = (*place)->relation->columns[COLUMN_SHARD].type;
    if (step->key_param < 0) {
        err = diag_set(diag, ERR_OBJECT_STATE,
            "step \"%s\" does not say by a parameter where its rows are", step->name);
    } else if (params[step->key_param].null) {
        err = diag_set(diag, ERR_NULL_VALUE, "the key of step \"%s\" is null", step->name);
    } else if (!saga__key_fits(param_types[step->key_param], type)) {
        err = diag_set(diag, ERR_DATATYPE_MISMATCH,
            "the key of step \"%s\" is of another type than the table's column", step->name);
    }
    if (err != ERR_OK) {
        saga__place_end(*place);
        *place = NULL;
        return err;
    }
    (*place)->shard = params[step->key_param];
    return ERR_OK;
}

enum err
saga__place_records(struct task *task, struct sql_engine *engine, struct txn *txn,
    const char *table, struct arena *arena, struct saga_place **place, struct diag *diag)
{
    *place = NULL;
    return make_place(task, sql_engine_catalogs(engine), txn, table, true, arena, place, diag);
}

void
saga__place_end(struct saga_place *place)
{
    if (place != NULL && place->catalog != NULL) {
        catalog_release(place->catalog);
        place->catalog = NULL;
    }
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static void
make_row(const struct saga_place *place, struct slice id, struct slice value,
    struct datum row[COLUMN_COUNT])
{
    row[COLUMN_SHARD] = place->shard;
    row[COLUMN_ID] = datum_bytes(id.data, id.size);
    row[COLUMN_VALUE] = datum_bytes(value.data, value.size);
}

enum err
saga__place_check(struct task *task, struct txn *txn, const struct saga_place *place,
    struct slice id, struct diag *diag)
{
    struct datum row[COLUMN_COUNT];
    struct buffer key = {0};
    make_row(place, id, slice_of("", 0), row);
    enum err err = buckets_check_write(task, place->store, txn, place->relation, row, &key, diag);
    buffer_destroy(&key);
    return err;
}

void
saga__place_key(const struct saga_place *place, struct slice id, struct buffer *key)
{
    struct datum row[COLUMN_COUNT];
    make_row(place, id, slice_of("", 0), row);
    index_row_key(place->relation, row, key);
}

void
saga__place_row(
    const struct saga_place *place, struct slice id, struct slice value, struct buffer *row)
{
    struct datum columns[COLUMN_COUNT];
    make_row(place, id, value, columns);
    row_encode(place->relation->layout, columns, row);
}

enum err
saga__place_value(const struct saga_place *place, struct slice row, struct slice *id,
    struct slice *value, struct diag *diag)
{
    struct datum columns[COLUMN_COUNT];
    static const uint16_t wanted[] = {COLUMN_SHARD, COLUMN_ID, COLUMN_VALUE};
    TRY(row_decode(place->relation->layout, row, wanted, COLUMN_COUNT, columns, diag));
    *id = slice_of(columns[COLUMN_ID].p, columns[COLUMN_ID].size);
    *value = slice_of(columns[COLUMN_VALUE].p, columns[COLUMN_VALUE].size);
    return ERR_OK;
}

/* ---- whose -------------------------------------------------------------------------------------
 */

static enum err
is_owned(struct task *task, struct txn *txn, const struct saga_place *place, uint32_t slot,
    struct arena *arena, bool *owned, uint64_t *coming, struct diag *diag)
{
    struct datum row[COLUMN_COUNT] = {[COLUMN_SHARD] = datum_int(slot)};
    struct buffer key = {0};
    struct bucket_record record;
    uint32_t bucket = 0;
    enum err err = sharding_bucket(place->relation, row, &key, &bucket, diag);
    buffer_destroy(&key);
    TRY(err);
    TRY(buckets_get(task, place->store, txn, place->relation->sharding->ownership, bucket, arena,
        &record, diag));
    *owned = record.state == BUCKET_OWNED || record.state == BUCKET_HANDING;
    *coming = record.epoch;
    return ERR_OK;
}

enum err
saga__owns_slot(struct task *task, struct sql_engine *engine, struct txn *txn, uint32_t slot,
    bool *owned, struct diag *diag)
{
    struct arena arena;
    struct saga_place *place = NULL;
    uint64_t coming = 0;
    *owned = false;
    arena_create(&arena, "slot");
    enum err err = saga__place_home(task, engine, txn, slot, true, &arena, &place, diag);
    if (err == ERR_OK && place != NULL) {
        err = is_owned(task, txn, place, slot, &arena, owned, &coming, diag);
    }
    saga__place_end(place);
    arena_destroy(&arena);
    return err;
}

enum err
saga__own_slot(struct task *task, struct sql_engine *engine, struct txn *txn, uint32_t *slot,
    struct diag *diag)
{
    uint32_t first = (uint32_t)(world_random(task_world(task)) % SAGA_SLOTS);
    for (uint32_t i = 0; i < SAGA_SLOTS; i++) {
        bool owned = false;
        *slot = (first + i) % SAGA_SLOTS;
        TRY(saga__owns_slot(task, engine, txn, *slot, &owned, diag));
        if (owned) {
            return ERR_OK;
        }
    }
    *slot = SAGA_SLOTS;
    return ERR_OK;
}

enum err
saga__own_slots(struct task *task, struct sql_engine *engine, struct txn *txn, uint64_t *slots,
    uint64_t *comings, struct diag *diag)
{
    struct arena arena;
    struct saga_place *place = NULL;
    arena_create(&arena, "slots");
    *slots = 0;
    enum err err = saga__place_home(task, engine, txn, 0, true, &arena, &place, diag);
    for (uint32_t slot = 0; err == ERR_OK && place != NULL && slot < SAGA_SLOTS; slot++) {
        bool owned = false;
        uint64_t coming = 0;
        err = is_owned(task, txn, place, slot, &arena, &owned, &coming, diag);
        if (comings != NULL) {
            comings[slot] = coming;
        }
        *slots |= (uint64_t)owned << slot;
    }
    saga__place_end(place);
    arena_destroy(&arena);
    return err;
}
