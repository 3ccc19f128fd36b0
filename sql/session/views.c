/*
 * sql/session/views.c - what of sessions is seen in SQL: pg_settings, pg_stat_activity,
 * pg_prepared_statements, and the functions that read or change settings and sessions.
 *
 * Of other sessions only that may be read which stays while they are in engine->sessions (names,
 * pid) or is made for it (struct sql_session, `activity` and below).
 */
#include <string.h>

#include "base/assert.h"
#include "sql/session/session_internal.h"

enum {
    ACTIVITY_COLUMNS = 22,
    PREPARED_COLUMNS = 7,
};

static struct datum
text_datum(const char *text)
{
    return text == NULL ? datum_null() : datum_bytes(text, strlen(text));
}

/* ---- pg_stat_activity ------------------------------------------------------------------------ */

/* Copied under the latch, shown without it: emitting may take its time. */
struct activity {
    uint32_t pid;
    enum session_activity state;
    int64_t started;
    char user[NAME_MAX_BYTES + 1];
    char database[NAME_MAX_BYTES + 1];
    char application_name[NAME_MAX_BYTES + 1];
};

static void
copy_name(char to[NAME_MAX_BYTES + 1], const char *name)
{
    size_t size = strnlen(name, NAME_MAX_BYTES);
    memcpy(to, name, size);
    to[size] = '\0';
}

static struct activity *
copy_activities(struct sql_engine *engine, struct arena *arena, uint32_t *count)
{
    /* No memory is allocated under the latch; who comes in between the two is not shown. */
    uint32_t room = sql_engine_session_count(engine);
    struct activity *all = arena_array(arena, room, sizeof *all);
    *count = 0;
    latch_acquire(&engine->latch);
    LIST_FOREACH (node, &engine->sessions) {
        const struct sql_session *session = LIST_ENTRY(node, struct sql_session, node);
        if (*count == room) {
            break;
        }
        struct activity *activity = &all[(*count)++];
        activity->pid = session->pid;
        activity->state =
            (enum session_activity)atomic_load_explicit(&session->activity, memory_order_relaxed);
        activity->started = session->started;
        copy_name(activity->user, session->user);
        copy_name(activity->database, session->database);
        copy_name(activity->application_name, session->application_name);
    }
    latch_release(&engine->latch);
    return all;
}

static oid_t
database_oid(const struct catalog *catalog, const char *name)
{
    struct catalog_entry entry;
    for (size_t i = 0; catalog_database_at(catalog, i, &entry); i++) {
        if (strcmp(entry.name, name) == 0) {
            return entry.oid;
        }
    }
    return 0;
}

static enum err
scan_activity(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    enum {
        DATID = 0,
        DATNAME = 1,
        PID = 2,
        USESYSID = 4,
        USENAME = 5,
        APPLICATION_NAME = 6,
        BACKEND_START = 10,
        STATE = 16,
        BACKEND_TYPE = 21,
    };
    static const char *const states[] = {
        "idle", "active", "idle in transaction", "idle in transaction (aborted)"};
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    uint32_t count = 0;
    const struct activity *all = copy_activities(eval->env->session->engine, eval->arena, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct role *role = catalog_role(catalog, all[i].user);
        struct datum values[ACTIVITY_COLUMNS];
        for (int c = 0; c < ACTIVITY_COLUMNS; c++) {
            values[c] = datum_null();
        }
        values[DATID] = datum_int(database_oid(catalog, all[i].database));
        values[DATNAME] = text_datum(all[i].database);
        values[PID] = datum_int(all[i].pid);
        values[USESYSID] = role == NULL ? datum_null() : datum_int(role->oid);
        values[USENAME] = text_datum(all[i].user);
        values[APPLICATION_NAME] = text_datum(all[i].application_name);
        values[BACKEND_START] = datum_int(all[i].started);
        values[STATE] = text_datum(states[all[i].state]);
        values[BACKEND_TYPE] = text_datum("client backend");
        TRY(emit(arg, values));
    }
    return ERR_OK;
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

/* ---- tusk_serialization_failures ---------------------------------------------------------------
 */

struct failure_rows {
    struct eval *eval;
    enum err (*emit)(void *arg, const struct datum *values);
    void *arg;
    enum err err;
};

static void
emit_failure(void *arg, const struct txn_failure *failure)
{
    struct failure_rows *rows = arg;
    if (rows->err == ERR_OK) {
        struct datum values[] = {
            datum_int(failure->time_us - EPOCH_US),
            datum_int(failure->pid),
            text_datum(arena_strdup(rows->eval->arena, failure->detail)),
        };
        rows->err = rows->emit(rows->arg, values);
    }
}

static enum err
scan_failures(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    (void)catalog;
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct failure_rows rows = {.eval = eval, .emit = emit, .arg = arg};
    txn_serialization_failures(eval->env->session->engine->db, emit_failure, &rows);
    return rows.err;
}

/* ---- pg_locks -------------------------------------------------------------------------------- */

static oid_t
relation_of_tree(const struct catalog *catalog, uint64_t tree)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(catalog, i)) != NULL; i++) {
        if (relation->tree.v == tree && relation->kind == RELATION_TABLE) {
            return relation->oid;
        }
        for (uint16_t at = 0; at < relation->index_count; at++) {
            if (relation->indexes[at].tree.v == tree) {
                return relation->indexes[at].oid;
            }
        }
    }
    return 0;
}

static const char *
lock_mode(const struct txn_lock_line *line)
{
    static const char *const tables[] = {
        [TXN_ACCESS_SHARE] = "AccessShareLock",
        [TXN_ROW_SHARE] = "RowShareLock",
        [TXN_ROW_EXCLUSIVE] = "RowExclusiveLock",
        [TXN_SHARE_UPDATE_EXCLUSIVE] = "ShareUpdateExclusiveLock",
        [TXN_SHARE] = "ShareLock",
        [TXN_SHARE_ROW_EXCLUSIVE] = "ShareRowExclusiveLock",
        [TXN_EXCLUSIVE] = "ExclusiveLock",
        [TXN_ACCESS_EXCLUSIVE] = "AccessExclusiveLock",
    };
    static const char *const rows[] = {
        [TXN_LOCK_KEY_SHARE] = "AccessShareLock",
        [TXN_LOCK_SHARE] = "RowShareLock",
        [TXN_LOCK_NO_KEY_UPDATE] = "ExclusiveLock",
        [TXN_LOCK_UPDATE] = "AccessExclusiveLock",
    };
    if (line->kind == TXN_LOCK_LINE_TXN) {
        return line->granted ? "ExclusiveLock" : "ShareLock";
    }
    return line->kind == TXN_LOCK_LINE_TABLE ? tables[line->mode] : rows[line->mode];
}

static enum err
scan_locks(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    enum {
        LOCKTYPE = 0,
        DATABASE = 1,
        RELATION = 2,
        TRANSACTIONID = 6,
        OBJID = 8,
        PID = 11,
        MODE = 12,
        GRANTED = 13,
        FASTPATH = 14,
        COLUMNS = 16,
    };
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct txn_lock_line *lines;
    size_t count = txn_db_locks(eval->env->session->engine->db, eval->arena, &lines);
    oid_t database = database_oid(catalog, eval->env->session->database);
    for (size_t i = 0; i < count; i++) {
        const struct txn_lock_line *line = &lines[i];
        struct datum values[COLUMNS];
        for (int c = 0; c < COLUMNS; c++) {
            values[c] = datum_null();
        }
        values[PID] = datum_int(line->owner_pid);
        values[MODE] = text_datum(lock_mode(line));
        values[GRANTED] = datum_bool(line->granted);
        values[FASTPATH] = datum_bool(line->fast);
        if (line->kind == TXN_LOCK_LINE_TXN) {
            values[LOCKTYPE] = text_datum("transactionid");
            values[TRANSACTIONID] =
                text_datum(arena_printf(eval->arena, "%llu", (unsigned long long)line->object));
        } else {
            bool table = line->kind == TXN_LOCK_LINE_TABLE;
            oid_t oid = table ? (oid_t)line->object : relation_of_tree(catalog, line->object);
            bool relation = line->object >> 32 == 0 || !table;
            values[DATABASE] = datum_int(database);
            values[LOCKTYPE] = text_datum(!relation ? "object" : table ? "relation" : "tuple");
            values[relation ? RELATION : OBJID] = datum_int(oid);
        }
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

/* pg_isolation_test_session_is_blocked(pid, pids): by whom is not asked, since those who test have
 * no others. */
FN(session_is_blocked)
{
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    struct sql_engine *engine = session->engine;
    bool waits = false;
    latch_acquire(&engine->latch);
    LIST_FOREACH (node, &engine->sessions) {
        const struct sql_session *other = LIST_ENTRY(node, struct sql_session, node);
        if (other->pid == args[0].i && other->txn != NULL) {
            waits = txn_waits_for_lock(engine->db, other->txn);
        }
    }
    latch_release(&engine->latch);
    *result = datum_bool(waits);
    return ERR_OK;
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
    {"pg_isolation_test_session_is_blocked", 0, TYPE_BOOL, 2, 2, VOLATILE,
        {TYPE_INT4, TYPE_INT4_ARRAY}, session_is_blocked, NULL, NULL},
    {"pg_postmaster_start_time", 0, TYPE_TIMESTAMPTZ, 0, 0, STABLE, {0}, postmaster_start_time,
        NULL, NULL},
    {"pg_conf_load_time", 0, TYPE_TIMESTAMPTZ, 0, 0, STABLE, {0}, postmaster_start_time, NULL,
        NULL},
};

void
views__register(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
    catalog_set_virtual_scan("pg_settings", settings__scan);
    catalog_set_virtual_scan("pg_stat_activity", scan_activity);
    catalog_set_virtual_scan("pg_prepared_statements", scan_prepared);
    catalog_set_virtual_scan("pg_locks", scan_locks);
    catalog_set_virtual_scan("tusk_serialization_failures", scan_failures);
}
