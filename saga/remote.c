/*
 * saga/remote.c - steps of sagas whose home is another node.
 *
 * tusk_saga_deliver is what a coordinator elsewhere calls, in a transaction of its own on the shard
 * that owns the step's key, with the role of whoever started the saga, and commits. The answer to a
 * repeated call is that of the first. The definition is this node's, of that name: it is created on
 * all.
 */
#include "saga/saga_internal.h"
#include "sql/catalog/access.h"

struct call {
    struct task *task;
    struct sql_session *session;
    struct saga_delivery delivery;
    struct saga_definition definition;
    struct eval *eval;
};

static enum err
check_caller(const struct call *call, const struct catalog *catalog)
{
    const struct role *role = catalog_role(catalog, call->eval->env->session_user);
    return role != NULL && role->superuser ? ERR_OK
                                           : diag_set(call->eval->diag, ERR_INSUFFICIENT_PRIVILEGE,
                                                 "only a superuser can deliver steps of sagas");
}

static enum err
read_definition(struct call *call, struct slice name)
{
    struct buffer key = {0};
    struct slice value;
    bool found = false;
    struct arena *arena = call->eval->arena;
    const char *text = arena_strndup(arena, (const char *)name.data, name.size);
    saga__definition_key(sql_session_database(call->session), text, &key);
    enum err err = saga__get(call->task, sql_session_txn(call->session), CATALOG_TREE_SAGAS,
        slice_of(key.data, key.size), false, arena, &value, &found, call->eval->diag);
    buffer_destroy(&key);
    TRY(err);
    if (!found) {
        return diag_set(call->eval->diag, ERR_UNDEFINED_OBJECT, "saga \"%s\" does not exist", text);
    }
    struct reader reader = {.rest = value};
    return saga__decode_definition(arena, &reader, &call->definition, call->eval->diag);
}

static enum err
read_values(struct call *call, struct datum array, const struct datum **params)
{
    struct eval *eval = call->eval;
    struct datum *texts = NULL;
    uint32_t count = array_elements(eval->arena, array, &texts);
    if (count != call->definition.param_count) {
        return diag_set(eval->diag, ERR_UNDEFINED_FUNCTION,
            "saga \"%s\" has %u parameters, and %u are given", call->definition.name,
            call->definition.param_count, count);
    }
    struct datum *values = arena_array(eval->arena, (size_t)count + 1, sizeof *values);
    for (uint32_t i = 0; i < count; i++) {
        values[i] = datum_null();
        if (!texts[i].null) {
            TRY(type_input(eval, call->definition.param_types[i], -1,
                slice_of(texts[i].p, texts[i].size), &values[i]));
        }
    }
    *params = values;
    return ERR_OK;
}

static enum err
deliver(struct call *call, const struct datum *arguments, struct datum *result)
{
    struct eval *eval = call->eval;
    struct saga_delivery *delivery = &call->delivery;
    struct saga_record record;
    TRY(read_definition(call, slice_of(arguments[2].p, arguments[2].size)));
    TRY(read_values(call, arguments[7], &delivery->params));
    if (arguments[0].i <= 0 || arguments[3].i < 1 || arguments[3].i > call->definition.step_count) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            arguments[0].i <= 0 ? "the home of a saga is a positive number"
                                : "there is no such step");
    }
    delivery->home = (uint64_t)arguments[0].i;
    delivery->number = (uint64_t)arguments[1].i;
    delivery->step = (uint16_t)(arguments[3].i - 1);
    delivery->kind = arguments[4].i != 0 ? SAGA_UNDO : SAGA_DO;
    delivery->attempt = (uint32_t)arguments[5].i;
    delivery->epoch = (uint64_t)arguments[6].i;
    delivery->definition = &call->definition;
    TRY(saga__deliver(call->task, call->session, delivery, eval->arena, &record, eval->diag));
    const char *outcome = saga__outcome_name(delivery->kind, record.outcome);
    *result = datum_bytes(outcome, strlen(outcome));
    return ERR_OK;
}

/* (home, number, saga, step, undoing, attempt, epoch, parameters) */
static enum err
saga_deliver(struct eval *eval, const struct datum *arguments, int count, struct datum *result)
{
    (void)count;
    if (eval->env->session == NULL) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session");
    }
    struct call *call = arena_alloc(eval->arena, sizeof *call);
    call->task = eval->task;
    call->session = eval->env->session;
    call->eval = eval;
    const struct catalog *outer = eval->env->catalog; /* planning the body puts its own there */
    TRY(check_caller(call, outer));
    enum err err = deliver(call, arguments, result);
    eval->env->catalog = outer;
    return err;
}

static const struct function functions[] = {
    {"tusk_saga_deliver", 0, TYPE_TEXT, 8, 8, FUNCTION_STRICT | FUNCTION_VOLATILE,
        {TYPE_INT8, TYPE_INT8, TYPE_TEXT, TYPE_INT4, TYPE_BOOL, TYPE_INT4, TYPE_INT8,
            TYPE_TEXT_ARRAY},
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
