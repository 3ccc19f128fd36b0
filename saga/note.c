/*
 * saga/note.c - sagas whose beginning is in a transaction block of another node than their home.
 *
 * START SAGA .. WITH KEY beside a client's own writes: the key says the home, and the block cannot
 * leave its node. So the block leaves a note there, in its own commit: a row of SAGA_LOG_TABLE in
 * any slot that the node has, which moves with that slot's bucket. Routers ask for orders anyway;
 * this one is tusk_saga_arrive at the home, which makes the instance, and then tusk_saga_noted,
 * which takes the note away. (README.md, S9.)
 *
 *     note: digest of the request, the instance with its definition
 */
#include "saga/saga_internal.h"

#include "parser/parser.h"
#include "sql/catalog/access.h"

/* In ids of rows only: there is no such tree. */
#define NOTES ((enum catalog_tree)250)

/* A number that was given away from home: this bit, the number that the note's slot would have
 * given, the home's slot. So no two are equal, whoever has given them. */
#define NOTED_BIT ((uint64_t)1 << 62)

bool
saga__is_noted(uint64_t number)
{
    return (number & NOTED_BIT) != 0;
}

uint32_t
saga_note_slot(uint64_t number)
{
    return saga_slot(number / SAGA_SLOTS);
}

/* ---- in the block ------------------------------------------------------------------------------
 */

static enum err
put_note(struct task *task, struct saga_room *room, struct txn *txn, const struct saga_place *place,
    uint32_t at, struct saga_instance *instance, const uint8_t digest[HASH128_SIZE],
    struct diag *diag)
{
    uint32_t home = saga_slot_of_key(instance->role, instance->key);
    enum err err = ERR_UNIQUE;
    while (err == ERR_UNIQUE) { /* a clock before all numbers begins anew at each start */
        uint8_t key[8];
        struct buffer value = {0};
        instance->number = NOTED_BIT | (saga__cluster_number(room, at) * SAGA_SLOTS + home);
        store_be64(key, instance->number);
        buffer_add(&value, digest, HASH128_SIZE);
        saga__encode_instance(instance, &value);
        err = saga__insert(task, txn, place, NOTES, slice_of(key, sizeof key),
            slice_of(value.data, value.size), NULL, NULL, diag);
        buffer_destroy(&value);
    }
    return err;
}

enum err
saga__note_start(struct task *task, struct saga_room *room, struct txn *txn,
    struct saga_instance *instance, const uint8_t digest[HASH128_SIZE], struct arena *arena,
    struct diag *diag)
{
    uint32_t at = 0;
    struct saga_place *place = NULL;
    TRY(saga__own_slot(task, room->engine, txn, &at, diag));
    if (at == SAGA_SLOTS) {
        (void)diag_set(diag, ERR_OBJECT_STATE,
            "the node of this block has no bucket of " SAGA_LOG_GROUP
            ", so it cannot start sagas of other nodes");
        diag_hint(diag, "ALTER TABLE " SAGA_LOG_GROUP
                        " MOVE BUCKET .. TO this node, or start the saga behind the block.");
        return ERR_OBJECT_STATE;
    }
    TRY(saga__place_home(task, room->engine, txn, at, false, arena, &place, diag));
    enum err err = put_note(task, room, txn, place, at, instance, digest, diag);
    saga__place_end(place);
    return err;
}

/* ---- its order ---------------------------------------------------------------------------------
 */

static void
put_order(struct saga_room *room, uint64_t number, const struct saga_instance *instance,
    struct slice value, struct buffer *order)
{
    struct buffer bytes = {0};
    struct buffer sql = {0};
    buffer_add_be64(&bytes, number);
    buffer_add_be64(&bytes, (uint64_t)world_wall_us(room->world));
    buffer_add(&bytes, value.data, value.size);
    buffer_add_text(&sql, "SELECT tusk_saga_arrive('\\x");
    saga__put_hex(&sql, slice_of(bytes.data, bytes.size));
    buffer_add_text(&sql, "')");
    buffer_add_u8(&sql, 0);
    saga__put_order(order, &(const struct saga_order){.number = number,
                               .kind = SAGA_ORDER_NOTE,
                               .database = instance->database,
                               .group = SAGA_LOG_GROUP,
                               .bucket = saga_slot(number),
                               .sql = (const char *)sql.data});
    buffer_destroy(&bytes);
    buffer_destroy(&sql);
}

struct slice
saga__of_note(struct slice value)
{
    return value.size < HASH128_SIZE
               ? slice_of("", 0)
               : slice_of(value.data + HASH128_SIZE, value.size - HASH128_SIZE);
}

enum err
saga__note_order(struct task *task, struct saga_room *room, struct txn *txn, uint64_t entry,
    struct arena *arena, struct buffer *order, struct diag *diag)
{
    uint64_t number = saga__of_note_entry(entry);
    struct saga_place *place = NULL;
    struct saga_instance instance;
    struct slice value;
    uint8_t key[8];
    bool found = false;
    store_be64(key, number);
    TRY(saga__place_home(
        task, room->engine, txn, saga_note_slot(number), false, arena, &place, diag));
    if (place == NULL) {
        return diag_set(diag, ERR_WRONG_BUCKET, "there are no sagas here");
    }
    enum err err = saga__get(
        task, txn, place, NOTES, slice_of(key, sizeof key), true, arena, &value, &found, diag);
    saga__place_end(place);
    TRY(err);
    if (!found) {
        saga__routed_forget(room, entry);
        return ERR_OK;
    }
    TRY(saga__decode_instance(arena, number, saga__of_note(value), &instance, diag));
    put_order(room, number, &instance, value, order);
    return ERR_OK;
}

enum err
saga__each_note(struct task *task, struct txn *txn, const struct saga_place *place,
    struct arena *arena, saga_each *each, void *arg, struct diag *diag)
{
    return saga__each_row(task, txn, place, NOTES, arena, each, arg, diag);
}

void
saga__noted_sql(uint64_t number, struct buffer *sql)
{
    buffer_printf(sql, "SELECT tusk_saga_noted(%llu)", (unsigned long long)number);
    buffer_add_u8(sql, 0);
}

/* ---- at home -----------------------------------------------------------------------------------
 */

/* The key has another saga: this one is over before it begins, and says so for as long as sagas are
 * kept. Without its number an arrival that comes again would not be known. */
static void
end_at_once(struct saga_room *room, struct saga_instance *instance, uint64_t other, bool same,
    struct arena *arena)
{
    instance->state = SAGA_COMPENSATED;
    instance->changed = world_wall_us(room->world);
    if (same) {
        instance->cause = arena_printf(
            arena, "saga %llu has key \"%s\" already", (unsigned long long)other, instance->key);
    } else {
        instance->cause =
            arena_printf(arena, "%s: key \"%s\" belongs to saga %llu, which has other parameters",
                err_sqlstate(ERR_SAGA_KEY), instance->key, (unsigned long long)other);
        world_log(room->world, "saga %llu (%s) does not begin: %s",
            (unsigned long long)instance->number, instance->definition.name, instance->cause);
    }
    instance->key = "";
}

static enum err
arrive(struct eval *eval, struct saga_room *room, struct saga_place *place, uint64_t number,
    const uint8_t *digest, struct slice bytes)
{
    struct task *task = eval->task;
    struct txn *txn = sql_session_txn(eval->env->session);
    struct saga_instance instance;
    uint64_t other = 0;
    bool same = false;
    bool found = false;
    TRY(saga__instance_get(
        task, txn, place, number, true, eval->arena, &instance, &found, eval->diag));
    if (found) {
        return ERR_OK;
    }
    TRY(saga__decode_instance(eval->arena, number, bytes, &instance, eval->diag));
    TRY(saga__claim_key(
        task, txn, place, &instance, digest, eval->arena, &other, &same, eval->diag));
    if (other != 0) {
        end_at_once(room, &instance, other, same, eval->arena);
    }
    TRY(saga__instance_put(task, txn, place, &instance, eval->diag));
    if (other == 0) {
        TRY(saga__open_put(task, room, txn, place, &instance, eval->diag));
    }
    sql_session_touch_saga(eval->env->session, number);
    return ERR_OK;
}

/* (what a note's node has ordered) */
static enum err
saga_arrive(struct eval *eval, const struct datum *arguments, int count, struct datum *result)
{
    (void)count;
    struct saga_room *room = NULL;
    struct saga_place *place = NULL;
    struct reader reader = {.rest = slice_of(arguments[0].p, arguments[0].size)};
    const struct catalog *outer = eval->env->catalog;
    TRY(saga__check_caller(eval, &room));
    uint64_t number = load_be64(reader_take(&reader, 8));
    int64_t sent = (int64_t)load_be64(reader_take(&reader, 8));
    const uint8_t *digest = reader_take(&reader, HASH128_SIZE);
    if (reader.bad || !saga__is_noted(number)) {
        return diag_set(eval->diag, ERR_INVALID_BINARY, "this is no note of a saga");
    }
    TRY(saga__check_age(room, sent, eval->diag));
    TRY(saga__place_home(eval->task, room->engine, sql_session_txn(eval->env->session),
        saga_slot(number), false, eval->arena, &place, eval->diag));
    if (place == NULL) {
        return diag_set(eval->diag, ERR_WRONG_BUCKET, "there are no sagas here");
    }
    enum err err = arrive(eval, room, place, number, digest, reader.rest);
    saga__place_end(place);
    eval->env->catalog = outer;
    *result = datum_bool(true);
    return err;
}

/* (number): its instance is at home, the note goes */
static enum err
saga_noted(struct eval *eval, const struct datum *arguments, int count, struct datum *result)
{
    (void)count;
    struct saga_room *room = NULL;
    struct saga_place *place = NULL;
    struct txn *txn = NULL;
    uint64_t number = (uint64_t)arguments[0].i;
    uint8_t key[8];
    bool found = false;
    TRY(saga__check_caller(eval, &room));
    txn = sql_session_txn(eval->env->session);
    store_be64(key, number);
    TRY(saga__place_home(eval->task, room->engine, txn, saga_note_slot(number), false, eval->arena,
        &place, eval->diag));
    if (place == NULL) {
        return diag_set(eval->diag, ERR_WRONG_BUCKET, "there are no sagas here");
    }
    enum err err = saga__remove(
        eval->task, txn, place, NOTES, slice_of(key, sizeof key), eval->arena, &found, eval->diag);
    saga__place_end(place);
    *result = datum_bool(found);
    return err;
}

static const struct function functions[] = {
    {"tusk_saga_arrive", 0, TYPE_BOOL, 1, 1, FUNCTION_STRICT | FUNCTION_VOLATILE, {TYPE_BYTEA},
        saga_arrive, NULL, NULL},
    {"tusk_saga_noted", 0, TYPE_BOOL, 1, 1, FUNCTION_STRICT | FUNCTION_VOLATILE, {TYPE_INT8},
        saga_noted, NULL, NULL},
};

void
saga__register_notes(void)
{
    static bool done;
    if (!done) {
        done = true;
        function_register(functions, sizeof functions / sizeof functions[0]);
    }
}
