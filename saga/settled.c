/*
 * saga/settled.c - which sagas of a cluster are open, as of a moment; and what they have done here.
 *
 * A row beside the instance stands at its home from the commit that begins a saga to the one that
 * ends it. So which are open as of a stamp is a read as of that stamp, wherever the slot's bucket
 * is then: exact, and as durable as the saga. README.md, "Settled reads over several nodes".
 *
 *     tusk_saga_open()        those whose home is here (shard/settled.h), as of the snapshot
 *     tusk_saga_close(list)   the others had ended by the list's stamp: they need not be kept
 *     tusk_saga_joined()      how many are kept here
 *
 * The row's value, which is also what a list says of a saga:
 *
 *     be64 begun; be16 number of steps; of each: group of its table ("": not sharded), be32 type of
 *     its key and the key
 */
#include "saga/saga_internal.h"

#include "shard/settled.h"
#include "sql/catalog/access.h"
#include "sql/catalog/buckets.h"

/* ---- rows --------------------------------------------------------------------------------------
 */

enum err
saga__open_put(struct task *task, struct saga_room *room, struct txn *txn,
    const struct saga_place *place, const struct saga_instance *instance, struct diag *diag)
{
    const struct saga_definition *definition = &instance->definition;
    struct catalog *catalog = NULL;
    struct buffer value = {0};
    uint8_t number[8];
    TRY(catalog_get(task, sql_engine_catalogs(room->engine), txn, &catalog, diag));
    buffer_add_be64(&value, txn_db_hlc(sql_engine_db(room->engine)));
    buffer_add_be16(&value, (uint16_t)definition->step_count);
    for (uint32_t i = 0; i < definition->step_count; i++) {
        const struct saga_step *step = &definition->steps[i];
        const struct relation *relation = catalog_relation(catalog, step->schema, step->table);
        bool sharded = relation != NULL && relation->sharding != NULL &&
                       relation->sharding->scheme.kind != SHARD_REPLICATED;
        bool known = sharded && step->key_param >= 0;
        oid_t type = known ? definition->param_types[step->key_param] : TYPE_INT4;
        buffer_add_sized(&value, sharded ? relation->sharding->group : "");
        buffer_add_be32(&value, type);
        saga__put_datum(&value, type, known ? instance->params[step->key_param] : datum_null());
    }
    catalog_release(catalog);
    store_be64(number, instance->number);
    enum err err = saga__put(task, txn, place, SAGA_OPEN_ROWS, slice_of(number, sizeof number),
        slice_of(value.data, value.size), diag);
    buffer_destroy(&value);
    return err;
}

enum err
saga__open_remove(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, struct diag *diag)
{
    uint8_t key[8];
    bool found = false;
    struct arena arena;
    store_be64(key, number);
    arena_create(&arena, "open saga");
    enum err err = saga__remove(
        task, txn, place, SAGA_OPEN_ROWS, slice_of(key, sizeof key), &arena, &found, diag);
    arena_destroy(&arena);
    return err;
}

/* ---- which are open ----------------------------------------------------------------------------
 */

struct listing {
    struct arena *arena;
    struct shard_settled settled;
    size_t capacity;
};

static enum err
list_one(void *arg, uint64_t number, struct slice value, bool *enough)
{
    struct listing *listing = arg;
    struct shard_settled *settled = &listing->settled;
    struct reader reader = {.rest = value};
    (void)enough;
    if (settled->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? 32 : listing->capacity * 2;
        struct shard_open_saga *more = arena_array(listing->arena, capacity, sizeof *more);
        if (settled->count > 0) {
            memcpy(more, settled->sagas, settled->count * sizeof *more);
        }
        settled->sagas = more;
        listing->capacity = capacity;
    }
    uint64_t begun = load_be64(reader_take(&reader, 8));
    settled->sagas[settled->count++] = (struct shard_open_saga){.number = number,
        .begun = begun,
        .places = slice_of(
            arena_copy(listing->arena, reader.rest.data, reader.rest.size), reader.rest.size)};
    return ERR_OK;
}

/* A bucket whose rows are still here while it is on its way is refused, as to any reader of all of
 * a table: so each slot's are seen at one node (BU2). */
static enum err
list_open(struct task *task, struct sql_engine *engine, struct txn *txn, struct listing *listing,
    struct diag *diag)
{
    struct saga_place *place = NULL;
    TRY(saga__place_home(task, engine, txn, 0, true, listing->arena, &place, diag));
    if (place == NULL) {
        return ERR_OK;
    }
    enum err err = buckets_check_table(
        task, place->store, txn, txn_statement_begin(txn), place->relation, diag);
    for (uint32_t slot = 0; err == ERR_OK && slot < SAGA_SLOTS; slot++) {
        place->shard = datum_int(slot);
        err = saga__each_row(
            task, txn, place, SAGA_OPEN_ROWS, listing->arena, list_one, listing, diag);
    }
    saga__place_end(place);
    return err;
}

static enum err
saga_open_list(struct eval *eval, const struct datum *arguments, int count, struct datum *result)
{
    (void)arguments;
    (void)count;
    struct saga_room *room = NULL;
    TRY(saga__check_caller(eval, &room));
    struct listing listing = {.arena = eval->arena};
    struct txn *txn = sql_session_txn(eval->env->session);
    TRY(list_open(eval->task, room->engine, txn, &listing, eval->diag));
    txn_settle(eval->task, txn); /* an end that a crash takes back must not have been told */
    listing.settled.blind = txn_sagas_blind(sql_engine_db(room->engine));
    struct catalog *catalog = NULL;
    TRY(catalog_get(eval->task, sql_engine_catalogs(room->engine), txn, &catalog, eval->diag));
    listing.settled.epoch = catalog_route_epoch(catalog);
    catalog_release(catalog);
    struct buffer bytes = {0};
    shard_settled_encode(&listing.settled, true, &bytes);
    *result = datum_bytes(arena_copy(eval->arena, bytes.data, bytes.size), bytes.size);
    buffer_destroy(&bytes);
    return ERR_OK;
}

/* ---- they need not be kept ---------------------------------------------------------------------
 */

static enum err
saga_close_others(struct eval *eval, const struct datum *arguments, int count, struct datum *result)
{
    (void)count;
    struct saga_room *room = NULL;
    struct shard_settled settled;
    TRY(saga__check_caller(eval, &room));
    TRY(shard_settled_decode(
        eval->arena, slice_of(arguments[0].p, arguments[0].size), &settled, eval->diag));
    uint64_t *numbers = arena_array(eval->arena, settled.count + 1, sizeof *numbers);
    for (size_t i = 0; i < settled.count; i++) {
        numbers[i] = settled.sagas[i].number;
    }
    const struct txn_open_sagas open = {
        .stamp = settled.stamp, .numbers = numbers, .count = settled.count};
    txn_sagas_close(sql_engine_db(room->engine), &open);
    *result = datum_int(0);
    return ERR_OK;
}

static enum err
saga_joined(struct eval *eval, const struct datum *arguments, int count, struct datum *result)
{
    (void)arguments;
    (void)count;
    struct saga_room *room = NULL;
    TRY(saga__check_caller(eval, &room));
    *result = datum_int(txn_sagas_joined(sql_engine_db(room->engine)));
    return ERR_OK;
}

/* ---- what they have done here ------------------------------------------------------------------
 */

struct checking {
    struct task *task;
    struct saga_room *room;
    struct txn *txn;
    struct txn_snapshot snapshot;
    struct arena *arena;
    struct diag *diag;
};

static enum err
unknown(const struct checking *checking, uint64_t number)
{
    (void)diag_set(
        checking->diag, ERR_SAGA_UNSETTLED, "what unfinished sagas have replaced is not known");
    diag_detail(checking->diag,
        "Saga %llu was begun before this node's start, or before rows of it came to this node.",
        (unsigned long long)number);
    diag_hint(checking->diag, "Try again when it has ended.");
    return ERR_SAGA_UNSETTLED;
}

/* A step's effect and its record are one transaction's (S1) and are in one bucket (S7): so a record
 * that is seen here and is of no transaction that is passed over tells of rows that would be seen,
 * too. */
static enum err
check_step(
    const struct checking *checking, const struct saga_place *place, uint64_t number, uint16_t step)
{
    for (int kind = SAGA_DO; kind <= (int)SAGA_UNDO; kind++) {
        struct txn_row row;
        bool found = false;
        TRY(saga__record_look(checking->task, checking->txn, checking->snapshot, place, number,
            step, (enum saga_kind)kind, checking->arena, &row, &found, checking->diag));
        if (found && !txn_hides(checking->txn, row.version.writer)) {
            return unknown(checking, number);
        }
    }
    return ERR_OK;
}

static enum err
check_saga(const struct checking *checking, const struct shard_open_saga *saga)
{
    struct reader reader = {.rest = saga->places};
    uint16_t steps = load_be16(reader_take(&reader, 2));
    for (uint16_t step = 0; step < steps && !reader.bad; step++) {
        struct saga_place *place = NULL;
        char table[32];
        const char *group = reader_text(&reader, checking->arena);
        oid_t type = load_be32(reader_take(&reader, 4));
        struct datum key = saga__take_datum(&reader, checking->arena, type);
        if (group[0] != '\0') {
            saga_steps_table(group, table);
            TRY(saga__place_records(checking->task, checking->room->engine, checking->txn, table,
                checking->arena, &place, checking->diag));
        }
        if (group[0] != '\0' && (place == NULL || key.null)) {
            saga__place_end(place);
            continue; /* such a step does nothing */
        }
        if (place != NULL) {
            place->shard = key;
        }
        enum err err = check_step(checking, place, saga->number, step);
        saga__place_end(place);
        TRY(err);
    }
    return reader.bad ? unknown(checking, saga->number) : ERR_OK;
}

enum err
saga__check_open(struct task *task, void *arg, struct txn *txn, struct txn_snapshot snapshot,
    const struct shard_settled *settled, struct diag *diag)
{
    struct saga_room *room = arg;
    struct arena arena;
    uint64_t blind = txn_sagas_blind(sql_engine_db(room->engine));
    snapshot.command = UINT32_MAX - 1; /* passes over nothing */
    arena_create(&arena, "open sagas");
    const struct checking checking = {.task = task,
        .room = room,
        .txn = txn,
        .snapshot = snapshot,
        .arena = &arena,
        .diag = diag};
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < settled->count; i++) {
        if (settled->sagas[i].begun <= blind) { /* G6 */
            err = check_saga(&checking, &settled->sagas[i]);
            arena_reset(&arena);
        }
    }
    arena_destroy(&arena);
    return err;
}

/* ---- functions ---------------------------------------------------------------------------------
 */

static const struct function functions[] = {
    {"tusk_saga_open", 0, TYPE_BYTEA, 0, 0, FUNCTION_STRICT | FUNCTION_VOLATILE, {0},
        saga_open_list, NULL, NULL},
    {"tusk_saga_close", 0, TYPE_INT8, 1, 1, FUNCTION_STRICT | FUNCTION_VOLATILE, {TYPE_BYTEA},
        saga_close_others, NULL, NULL},
    {"tusk_saga_joined", 0, TYPE_INT8, 0, 0, FUNCTION_STRICT | FUNCTION_VOLATILE, {0}, saga_joined,
        NULL, NULL},
};

void
saga__register_settled(void)
{
    static bool done;
    if (!done) {
        done = true;
        function_register(functions, sizeof functions / sizeof functions[0]);
    }
}
