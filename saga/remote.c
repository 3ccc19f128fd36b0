/*
 * saga/remote.c - steps of sagas whose home may be another node.
 *
 * tusk_saga_deliver is what a router calls with what the saga's home has ordered, in a transaction
 * of its own on the node that has the step's bucket, in the role of whoever started the saga, and
 * commits. The answer to a repeated call is that of the first. What is delivered has all that is
 * needed: parameters, and the definition that the saga began with.
 *
 *     be64 number, be16 step, kind, flags, be32 attempt, be64 epoch, be64 when it was sent,
 *     be64 stamp by which the saga had begun, definition, parameters
 */
#include "saga/saga_internal.h"
#include "sql/catalog/access.h"

enum {
    FLAG_SKIPS = 1,
    FLAG_FORGETS = 2,
};

struct call {
    struct task *task;
    struct sql_session *session;
    struct saga_room *room;
    struct saga_delivery delivery;
    struct saga_definition definition;
    bool forgets;
    int64_t sent;
    uint64_t stamp;
    struct eval *eval;
};

void
saga__encode_delivery(const struct saga_delivery *delivery, bool forgets, int64_t sent,
    uint64_t stamp, struct buffer *to)
{
    const struct saga_definition *definition = delivery->definition;
    buffer_add_be64(to, delivery->number);
    buffer_add_be16(to, delivery->step);
    buffer_add_u8(to, (uint8_t)delivery->kind);
    buffer_add_u8(to, (uint8_t)((delivery->skips ? FLAG_SKIPS : 0) | (forgets ? FLAG_FORGETS : 0)));
    buffer_add_be32(to, delivery->attempt);
    buffer_add_be64(to, delivery->epoch);
    buffer_add_be64(to, (uint64_t)sent);
    buffer_add_be64(to, stamp);
    saga__encode_definition(definition, to);
    for (uint32_t i = 0; i < definition->param_count; i++) {
        saga__put_datum(to, definition->param_types[i], delivery->params[i]);
    }
}

static enum err
decode(struct call *call, struct slice bytes)
{
    struct saga_delivery *delivery = &call->delivery;
    struct saga_definition *definition = &call->definition;
    struct arena *arena = call->eval->arena;
    struct reader reader = {.rest = bytes};
    delivery->number = load_be64(reader_take(&reader, 8));
    delivery->home = (uint64_t)saga_slot(delivery->number) + 1;
    delivery->step = load_be16(reader_take(&reader, 2));
    delivery->kind = *reader_take(&reader, 1) != 0 ? SAGA_UNDO : SAGA_DO;
    uint8_t flags = *reader_take(&reader, 1);
    delivery->skips = (flags & FLAG_SKIPS) != 0;
    call->forgets = (flags & FLAG_FORGETS) != 0;
    delivery->attempt = load_be32(reader_take(&reader, 4));
    delivery->epoch = load_be64(reader_take(&reader, 8));
    call->sent = (int64_t)load_be64(reader_take(&reader, 8));
    call->stamp = load_be64(reader_take(&reader, 8));
    delivery->definition = definition;
    TRY(saga__decode_definition(arena, &reader, definition, call->eval->diag));
    struct datum *params = arena_array(arena, (size_t)definition->param_count + 1, sizeof *params);
    for (uint32_t i = 0; i < definition->param_count; i++) {
        params[i] = saga__take_datum(&reader, arena, definition->param_types[i]);
    }
    delivery->params = params;
    return reader.bad || reader.rest.size > 0 || delivery->step >= definition->step_count
               ? diag_set(call->eval->diag, ERR_INVALID_BINARY, "this is no step of a saga")
               : ERR_OK;
}

struct saga_room *
saga__room(const struct eval *eval)
{
    struct sql_session *session = eval->env->session;
    const struct sql_saga_hooks *hooks =
        session == NULL ? NULL : sql_engine_saga_hooks(sql_session_engine(session));
    return hooks == NULL ? NULL : hooks->arg;
}

static enum err
check_caller(const struct call *call, const struct catalog *catalog)
{
    const struct role *role = catalog_role(catalog, call->eval->env->session_user);
    return role != NULL && role->superuser ? ERR_OK
                                           : diag_set(call->eval->diag, ERR_INSUFFICIENT_PRIVILEGE,
                                                 "only a superuser can deliver steps of sagas");
}

/* Records are kept for tusk.saga_history behind the saga's end: who was paused for longer cannot
 * know what has been forgotten. */
enum err
saga__check_age(struct saga_room *room, int64_t sent, struct diag *diag)
{
    int64_t history = sql_engine_setting(room->engine, "tusk.saga_history") * 1000;
    int64_t age = world_wall_us(room->world) - sent;
    return age <= history / 2 ? ERR_OK
                              : diag_set(diag, ERR_SAGA_EPOCH,
                                    "a saga's step was sent %lld seconds ago: that is too long",
                                    (long long)(age / 1000000));
}

/* S9. What it does is stamped behind the saga's beginning; and the saga is known here before it
 * commits. A clock that is minutes behind is put right by somebody, and the step waits for it. */
static enum err
join(struct call *call)
{
    struct txn_db *db = sql_engine_db(call->room->engine);
    struct diag *diag = call->eval->diag;
    enum err err = txn_db_raise_hlc(call->task, db, call->stamp, diag);
    if (err == ERR_INVALID_PARAMETER_VALUE) {
        diag->code = ERR_CANNOT_CONNECT_NOW;
    } else if (err == ERR_OK) {
        txn_saga_joins(db, call->delivery.number);
    }
    return err == ERR_INVALID_PARAMETER_VALUE ? ERR_CANNOT_CONNECT_NOW : err;
}

static enum err
deliver(struct call *call, struct datum *result)
{
    struct eval *eval = call->eval;
    struct saga_delivery *delivery = &call->delivery;
    struct saga_place *place = NULL;
    struct saga_record record;
    struct buffer answer = {0};
    TRY(saga__place_step(call->task, call->session, &call->definition.steps[delivery->step],
        delivery->params, call->definition.param_types, eval->arena, &place, eval->diag));
    delivery->place = place;
    enum err err = ERR_OK;
    if (call->forgets) {
        err = saga__record_remove(call->task, sql_session_txn(call->session), place,
            delivery->number, delivery->step, eval->arena, eval->diag);
    } else if ((err = join(call)) == ERR_OK) {
        err = saga__deliver(call->task, call->session, delivery, eval->arena, &record, eval->diag);
        if (err == ERR_OK) {
            record.images = slice_of("", 0);
            saga__encode_record(&record, &answer);
        }
    }
    saga__place_end(place);
    *result = datum_bytes(arena_copy(eval->arena, answer.data, answer.size), answer.size);
    buffer_destroy(&answer);
    return err;
}

/* (what a home has ordered): what is to be reported to it */
static enum err
saga_deliver(struct eval *eval, const struct datum *arguments, int count, struct datum *result)
{
    (void)count;
    struct saga_room *room = saga__room(eval);
    if (room == NULL) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session");
    }
    struct call *call = arena_alloc(eval->arena, sizeof *call);
    call->task = eval->task;
    call->session = eval->env->session;
    call->room = room;
    call->eval = eval;
    const struct catalog *outer = eval->env->catalog; /* planning the body puts its own there */
    TRY(check_caller(call, outer));
    TRY(decode(call, slice_of(arguments[0].p, arguments[0].size)));
    TRY(saga__check_age(room, call->sent, eval->diag));
    enum err err = deliver(call, result);
    eval->env->catalog = outer;
    return err;
}

static const struct function functions[] = {
    {"tusk_saga_deliver", 0, TYPE_BYTEA, 1, 1, FUNCTION_STRICT | FUNCTION_VOLATILE, {TYPE_BYTEA},
        saga_deliver, NULL, NULL},
};

void
saga__register_functions(void)
{
    static bool done;
    if (!done) {
        done = true;
        function_register(functions, sizeof functions / sizeof functions[0]);
    }
}
