/*
 * sql/session/session_functions.c - functions about the session's statement and transaction.
 */
#include "base/assert.h"
#include "sql/session/session_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

static enum err
here(struct eval *eval, struct sql_session **session)
{
    *session = eval->env->session;
    return *session != NULL
               ? ERR_OK
               : diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session here");
}

FN(current_query)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    TRY(here(eval, &session));
    *result = datum_bytes(
        arena_copy(eval->arena, session->query, session->query_size), session->query_size);
    result->null = session->query_size == 0;
    return ERR_OK;
}

FN(current_id)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    TRY(here(eval, &session));
    TRY(txn_need_id(eval->task, session->txn, eval->diag));
    *result = datum_int((int64_t)txn_id(session->txn).v);
    return ERR_OK;
}

FN(current_id_if_assigned)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    TRY(here(eval, &session));
    *result = datum_int((int64_t)txn_id(session->txn).v);
    result->null = result->i == 0;
    return ERR_OK;
}

#define STABLE (FUNCTION_STRICT | FUNCTION_STABLE)
#define NONE(name, oid, type, call)                          \
    {                                                        \
        name, oid, type, 0, 0, STABLE, {0}, call, NULL, NULL \
    }

static const struct function functions[] = {
    NONE("current_query", 817, TYPE_TEXT, current_query),
    NONE("pg_current_xact_id", 5059, TYPE_INT8, current_id),
    NONE("pg_current_xact_id_if_assigned", 5060, TYPE_INT8, current_id_if_assigned),
    NONE("txid_current", 2943, TYPE_INT8, current_id),
    NONE("txid_current_if_assigned", 3348, TYPE_INT8, current_id_if_assigned),
};

void
session_functions__register(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
}
