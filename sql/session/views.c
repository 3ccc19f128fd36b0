/*
 * sql/session/views.c - what of sessions is seen in SQL: pg_settings,
 * pg_prepared_statements, and the functions that read or change settings and sessions.
 *
 * Of other sessions only that may be read which stays while they are in engine->sessions (names,
 * pid) or is made for it (struct sql_session, `activity` and below).
 */
#include <string.h>

#include "base/assert.h"
#include "sql/session/session_internal.h"

enum {
    PREPARED_COLUMNS = 7,
};

static struct datum
text_datum(const char *text)
{
    return text == NULL ? datum_null() : datum_bytes(text, strlen(text));
}

/* ---- pg_prepared_statements ------------------------------------------------------------------ */

static enum err
scan_prepared(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    (void)catalog;
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    LIST_FOREACH (node, &eval->env->session->statements) {
        const struct prepared *prepared = LIST_ENTRY(node, struct prepared, node);
        struct datum *types = arena_array(eval->arena, prepared->param_count + 1U, sizeof *types);
        for (uint32_t i = 0; i < prepared->param_count; i++) {
            types[i] = datum_int(prepared->param_types[i]);
        }
        struct datum values[PREPARED_COLUMNS] = {
            text_datum(prepared->name),
            datum_bytes(prepared->text, prepared->size),
            datum_null(),
            array_make(eval->arena, TYPE_REGTYPE, false, types, prepared->param_count),
            datum_bool(prepared->from_sql),
            datum_int(prepared->planned != NULL),
            datum_int(0),
        };
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

/* ---- functions ------------------------------------------------------------------------------- */

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

static char *
argument_text(struct eval *eval, struct datum value)
{
    return arena_strndup(eval->arena, (const char *)value.p, value.size);
}

static enum err
session_of(struct eval *eval, struct sql_session **session)
{
    *session = eval->env->session;
    return *session != NULL
               ? ERR_OK
               : diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session here");
}

/* current_setting(name [, missing_ok]) */
FN(current_setting)
{
    struct sql_session *session;
    TRY(session_of(eval, &session));
    struct diag unknown;
    const char *value = settings__get(session, argument_text(eval, args[0]), &unknown);
    if (value == NULL && (count < 2 || args[1].i == 0)) {
        *eval->diag = unknown;
        return unknown.code;
    }
    *result = value == NULL ? datum_null() : text_datum(arena_strdup(eval->arena, value));
    return ERR_OK;
}

/* set_config(name, value, is_local) */
FN(set_config)
{
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    if (args[0].null || args[2].null) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "%s must not be null",
            args[0].null ? "SET requires parameter name: it" : "is_local");
    }
    const char *name = argument_text(eval, args[0]);
    TRY(settings__set_value(session, name, args[1].null ? NULL : argument_text(eval, args[1]),
        args[2].i != 0, eval->diag));
    const char *value = settings__get(session, name, eval->diag);
    *result = text_datum(value == NULL ? "" : arena_strdup(eval->arena, value));
    return ERR_OK;
}

/* True if there was such a session. */
static bool
interrupt(struct sql_engine *engine, int64_t pid, enum task_interrupt what)
{
    bool found = false;
    latch_acquire(&engine->latch);
    LIST_FOREACH (node, &engine->sessions) {
        struct sql_session *session = LIST_ENTRY(node, struct sql_session, node);
        if (session->pid == pid) {
            task_interrupt(session->task, what);
            found = true;
        }
    }
    latch_release(&engine->latch);
    return found;
}

static enum err
signal_session(struct eval *eval, int64_t pid, enum task_interrupt what, struct datum *result)
{
    struct sql_session *session;
    TRY(session_of(eval, &session));
    bool found = interrupt(session->engine, pid, what);
    if (!found) {
        session__warn(session, "WARNING", ERR_WARNING,
            "PID %lld is not a PostgreSQL server process", (long long)pid);
    }
    *result = datum_bool(found);
    return ERR_OK;
}

FN(cancel_backend)
{
    (void)count;
    return signal_session(eval, args[0].i, TASK_CANCEL, result);
}

FN(terminate_backend)
{
    (void)count;
    return signal_session(eval, args[0].i, TASK_TERMINATE, result);
}

FN(postmaster_start_time)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    *result = datum_int(session->engine->started);
    return ERR_OK;
}

FN(conf_load_time)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    latch_acquire(&session->engine->latch);
    *result = datum_int(session->engine->config_loaded);
    latch_release(&session->engine->latch);
    return ERR_OK;
}

/* PostgreSQL answers true at once and logs what is wrong later; here the caller hears of it. */
FN(reload_conf)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    TRY(sql_engine_reload(eval->task, session->engine, eval->diag));
    if (session->engine->reloaded != NULL) {
        session->engine->reloaded(session->engine->reloaded_arg);
    }
    *result = datum_bool(true);
    return ERR_OK;
}

enum {
    STABLE = FUNCTION_STRICT | FUNCTION_STABLE,
    VOLATILE = FUNCTION_STRICT | FUNCTION_VOLATILE,
};

static const struct function functions[] = {
    {"current_setting", 0, TYPE_TEXT, 1, 1, STABLE, {TYPE_TEXT}, current_setting, NULL, NULL},
    {"current_setting", 0, TYPE_TEXT, 2, 2, STABLE, {TYPE_TEXT, TYPE_BOOL}, current_setting, NULL,
        NULL},
    {"set_config", 0, TYPE_TEXT, 3, 3, FUNCTION_VOLATILE, {TYPE_TEXT, TYPE_TEXT, TYPE_BOOL},
        set_config, NULL, NULL},
    {"pg_cancel_backend", 0, TYPE_BOOL, 1, 1, VOLATILE, {TYPE_INT4}, cancel_backend, NULL, NULL},
    {"pg_terminate_backend", 0, TYPE_BOOL, 1, 1, VOLATILE, {TYPE_INT4}, terminate_backend, NULL,
        NULL},
    {"pg_postmaster_start_time", 0, TYPE_TIMESTAMPTZ, 0, 0, STABLE, {0}, postmaster_start_time,
        NULL, NULL},
    {"pg_conf_load_time", 0, TYPE_TIMESTAMPTZ, 0, 0, STABLE, {0}, conf_load_time, NULL, NULL},
    {"pg_reload_conf", 0, TYPE_BOOL, 0, 0, VOLATILE, {0}, reload_conf, NULL, NULL},
};

void
views__register(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
    locks__register();
    buckets__register();
    moves__register();
    replicated__register();
    notify__register();
    activity__register();
    serializable__register();
    idempotency__register();
    backup__register();
    session_functions__register();
    storage__register();
    catalog_set_virtual_scan("pg_settings", settings__scan);
    catalog_set_virtual_scan("pg_prepared_statements", scan_prepared);
    catalog_set_virtual_scan("pg_cursors", cursor__scan);
}
