/* sql/session/portal.c - running things, and the two protocols' entry points. */
#include <stdio.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "parser/scanner.h"
#include "sql/session/session_internal.h"

/* ---- portals
 * --------------------------------------------------------------------------------------- */

void
portal__create(struct portal *portal, struct prepared *prepared)
{
    *portal = (struct portal){.prepared = prepared};
    prepared->references++;
    arena_create(&portal->arena, "portal");
}

void
portal__destroy(struct task *task, struct portal *portal)
{
    if (portal->cursor != NULL) {
        cursor__destroy(task, portal->cursor);
    }
    if (portal->exec != NULL) {
        exec_close(task, portal->exec);
    }
    if (portal->planned != NULL) {
        planned__release(portal->planned);
    }
    prepared__release(portal->prepared);
    arena_destroy(&portal->arena);
}

struct portal *
portal__find(struct sql_session *session, const char *name)
{
    LIST_FOREACH (node, &session->portals) {
        struct portal *portal = LIST_ENTRY(node, struct portal, node);
        if (strcmp(portal->name, name) == 0) {
            return portal;
        }
    }
    return NULL;
}

void
portal__close(struct task *task, struct portal *portal)
{
    list_remove(&portal->node);
    portal__destroy(task, portal);
    mem_free(portal->name);
    mem_free(portal);
}

void
portal__close_all(struct task *task, struct sql_session *session)
{
    while (!list_empty(&session->portals)) {
        portal__close(task, LIST_ENTRY(session->portals.next, struct portal, node));
    }
}

void
sql_session_close_portal(struct task *task, struct sql_session *session, const char *name)
{
    struct portal *portal = portal__find(session, name);
    if (portal != NULL) {
        portal__close(task, portal);
    }
}

/* ---- running a plan
 * ---------------------------------------------------------------------------------- */

static const char *
statement_word(const struct plan *plan)
{
    switch (plan->statement) {
    case STATEMENT_SELECT:
        return "SELECT";
    case STATEMENT_INSERT:
        return "INSERT";
    case STATEMENT_UPDATE:
        return "UPDATE";
    case STATEMENT_DELETE:
        return "DELETE";
    }
    ASSERT(false);
    return "";
}

static void
make_tag(const struct plan *plan, uint64_t count, char *tag, size_t size)
{
    if (plan->called) {
        (void)snprintf(tag, size, "CALL");
        return;
    }
    (void)snprintf(tag, size, plan->statement == STATEMENT_INSERT ? "%s 0 %llu" : "%s %llu",
        statement_word(plan), (unsigned long long)count);
}

enum err
portal__open(
    struct task *task, struct sql_session *session, struct portal *portal, struct diag *diag)
{
    TRY(prepared__plan(task, session, portal->prepared, diag));
    TRY(prepared__fit(task, session, portal->prepared, portal->params, &session->statement, diag));
    portal->planned = planned__hold(portal->prepared->planned);
    TRY(planned__open(task, session, portal->planned, &portal->arena, portal->params, false,
        &portal->exec, diag));
    txn_note_statement(session->txn, portal->prepared->text, portal->prepared->size);
    portal->state = PORTAL_OPEN;
    return ERR_OK;
}

static enum err
run_plan(struct task *task, struct sql_session *session, struct portal *portal, uint64_t rows_max,
    bool describe, bool *suspended, struct diag *diag)
{
    const struct sql_sink *sink = session->sink;
    if (portal->state == PORTAL_NEW) {
        TRY(portal__open(task, session, portal, diag));
    }
    const struct plan *plan = portal->planned->plan;
    if (describe && plan->returns_rows) {
        TRY(sink->describe(task, sink->arg, plan->columns, plan->column_count, diag));
    }
    uint64_t sent = 0;
    const struct datum *row = NULL;
    session->env.catalog = portal->planned->catalog; /* another portal may have run meanwhile */
    while (portal->state == PORTAL_OPEN) {
        TRY(exec_next(task, portal->exec, &row));
        if (row == NULL) {
            portal->state = PORTAL_DONE;
            break;
        }
        if (plan->returns_rows) {
            TRY(sink->row(
                task, sink->arg, plan->columns, row, plan->column_count, portal->binary, diag));
        }
        if (++sent == rows_max) {
            *suspended = true;
            return ERR_OK;
        }
    }
    char tag[64];
    make_tag(plan, plan->statement == STATEMENT_SELECT ? sent : exec_row_count(portal->exec), tag,
        sizeof tag);
    return sink->complete(task, sink->arg, tag, diag);
}

/* Text from a client. */
static enum err
check_encoding(const char *text, size_t size, struct diag *diag)
{
    size_t bad = utf8_invalid_at(text, size);
    if (bad == size) {
        return ERR_OK;
    }
    return diag_set(diag, ERR_NOT_IN_REPERTOIRE,
        "invalid byte sequence for encoding \"UTF8\": 0x%02x", (uint8_t)text[bad]);
}

/* A statement from a client. */
static enum err
check_text(const struct sql_session *session, const char *text, size_t size, struct diag *diag)
{
    uint64_t size_max = session->engine->statement_size_max;
    if (size > size_max) {
        (void)diag_set(diag, ERR_PROGRAM_LIMIT, "statement is too large");
        diag_detail(diag, "It has %zu bytes, max_statement_size allows %llu.", size,
            (unsigned long long)size_max);
        return ERR_PROGRAM_LIMIT;
    }
    return check_encoding(text, size, diag);
}

static bool
allowed_when_failed(const struct prepared *prepared)
{
    if (prepared->statement == NULL || prepared->statement->body->kind != AST_TRANSACTION) {
        return false;
    }
    enum ast_transaction_kind kind = ast_as_transaction(prepared->statement->body)->kind;
    return kind == AST_COMMIT || kind == AST_ROLLBACK || kind == AST_ROLLBACK_TO;
}

enum err
portal__run_now(struct task *task, struct sql_session *session, struct portal *portal,
    uint64_t rows_max, bool describe, bool *suspended, struct diag *diag)
{
    struct prepared *prepared = portal->prepared;
    enum err err = prepared__is_query(prepared)
                       ? run_plan(task, session, portal, rows_max, describe, suspended, diag)
                       : utility__run(task, session, portal, describe, diag);
    if (!prepared__is_query(prepared) && err == ERR_OK) {
        portal->state = PORTAL_DONE;
    }
    return err;
}

enum err
portal__run(struct task *task, struct sql_session *session, struct portal *portal,
    uint64_t rows_max, bool describe, bool *suspended, struct diag *diag)
{
    struct prepared *prepared = portal->prepared;
    *suspended = false;
    if (prepared->statement == NULL) {
        return session->sink->empty(task, session->sink->arg, diag);
    }
    if (session->block == BLOCK_FAILED && !allowed_when_failed(prepared)) {
        return diag_set(diag, ERR_IN_FAILED_TRANSACTION,
            "current transaction is aborted, commands ignored until end of transaction block");
    }
    if (portal->state == PORTAL_DONE && !prepared->returns_rows) {
        return diag_set(diag, ERR_OBJECT_STATE, "portal \"%s\" cannot be run",
            portal->name == NULL ? "" : portal->name);
    }
    if (portal->state == PORTAL_NEW) {
        metrics__statement(session, metrics__class(prepared));
    }
    bool timed = session->statement_timeout_us > 0; /* the statement may be SET statement_timeout */
    if (timed) {
        task_set_deadline(
            task, world_clock_us(session->engine->world) + session->statement_timeout_us);
    }
    bool named = session->idempotency_key[0] != '\0';
    enum err err = (named ? idempotency__run : portal__run_now)(
        task, session, portal, rows_max, describe, suspended, diag);
    if (timed) {
        task_set_deadline(task, WORLD_NEVER);
        task_interrupt_clear(task, TASK_TIMEOUT);
    }
    return err;
}

/* ---- the simple protocol
 * ------------------------------------------------------------------------------ */

static enum err
run_once(struct task *task, struct sql_session *session, struct prepared *prepared,
    struct datum *params, struct diag *diag)
{
    struct portal portal;
    portal__create(&portal, prepared);
    portal.params = params;
    bool suspended = false;
    enum err err = portal__run(task, session, &portal, 0, true, &suspended, diag);
    portal__destroy(task, &portal);
    if (err == ERR_OK && txn_state(session->txn) == TXN_ACTIVE && list_empty(&session->portals)) {
        txn_snapshots_release(session->txn);
    }
    return err;
}

static enum err
run_list(struct task *task, struct sql_session *session, const char *text, size_t size,
    const struct ast_list *list, struct diag *diag)
{
    AST_FOREACH(at, list)
    {
        const struct ast_statement *statement = ast_as_statement(*at);
        TRY(session__begin_implicit(task, session, diag));
        struct prepared *prepared = NULL;
        TRY(prepared__new(session, "", text, size, statement, NULL, 0, &prepared, diag));
        prepared->no_params = true;
        enum err err = run_once(task, session, prepared, NULL, diag);
        prepared__release(prepared);
        TRY(err);
    }
    return session__end_implicit(task, session, diag);
}

static enum err
run_text(struct task *task, struct sql_session *session, const char *text, size_t size,
    struct diag *diag)
{
    struct ast_list *list = NULL;
    TRY(parser_parse(&session->statement, text, size, &list, diag));
    if (ast_list_count(list) == 0) {
        return session->sink->empty(task, session->sink->arg, diag);
    }
    return run_list(task, session, text, size, list, diag);
}

/* Literals to the parameters the plan wants. False: the slow way must say what is wrong. */
static bool
convert_literals(struct sql_session *session, const struct parser_normalized *normal,
    const struct prepared *prepared, struct datum *params)
{
    struct eval eval = {.task = session->task, .arena = &session->statement, .env = &session->env};
    session->env.catalog = prepared->planned->catalog;
    for (uint32_t i = 0; i < normal->literal_count; i++) {
        const struct parser_literal *literal = &normal->literals[i];
        oid_t type = prepared->param_types[i];
        if (literal->kind == PARSER_LITERAL_INT4 || literal->kind == PARSER_LITERAL_INT8) {
            if (type != TYPE_INT4 && type != TYPE_INT8) {
                return false;
            }
            params[i] = datum_int(literal->integer);
        } else if (type == TYPE_TEXT) {
            params[i] = datum_bytes(literal->text, literal->size);
        } else if (type_input(&eval, type, -1, slice_of(literal->text, literal->size),
                       &params[i]) != ERR_OK) {
            return false;
        }
    }
    return true;
}

static oid_t
literal_type(enum parser_literal_kind kind)
{
    switch (kind) {
    case PARSER_LITERAL_INT4:
        return TYPE_INT4;
    case PARSER_LITERAL_INT8:
        return TYPE_INT8;
    case PARSER_LITERAL_NUMERIC:
        return TYPE_NUMERIC;
    case PARSER_LITERAL_STRING:
        return TYPE_UNKNOWN;
    }
    ASSERT(false);
    return 0;
}

/* The statement from the cache, or put into it. NULL: not by this way. */
static struct prepared *
cached_statement(struct task *task, struct sql_session *session,
    const struct parser_normalized *normal, const oid_t *types)
{
    uint64_t hash = hash64(normal->text, normal->size, normal->literal_count);
    hash ^= hash64(types, normal->literal_count * sizeof *types, 1);
    struct prepared *prepared =
        prepared__cached(session, hash, normal->text, normal->size, types, normal->literal_count);
    if (prepared != NULL) {
        if (prepared->uncacheable) {
            return NULL;
        }
        if (prepared__is_current(session, prepared)) {
            return prepared;
        }
        /* With another catalog the literals may be of other types: begin anew. */
        prepared__uncache(session, prepared);
    }
    struct diag ignored;
    if (prepared__new(session, "", normal->text, normal->size, NULL, types, normal->literal_count,
            &prepared, &ignored) != ERR_OK) {
        return NULL;
    }
    prepared__cache(session, prepared, hash);
    if (prepared->statement == NULL || !prepared__is_query(prepared) ||
        prepared__plan(task, session, prepared, &ignored) != ERR_OK ||
        prepared->param_count != normal->literal_count) {
        prepared->uncacheable = true;
        return NULL;
    }
    return prepared;
}

/* *done: the query ran, well or badly. Else nothing has happened but that a transaction may have
 * been begun. */
static enum err
run_cached(struct task *task, struct sql_session *session, const char *text, size_t size,
    bool *done, struct diag *diag)
{
    *done = false;
    if (session->block == BLOCK_FAILED || size > 16384) {
        return ERR_OK;
    }
    if (session->cache_stale) {
        prepared__drop_cached(session);
        session->cache_stale = false;
    }
    struct buffer *to = &session->normalized;
    to->size = 0;
    size_t capacity = size + 4 * PARSER_LITERALS_MAX + 1;
    char *memory = (char *)buffer_reserve(to, capacity);
    struct parser_normalized *normal = arena_alloc_raw(&session->statement, sizeof *normal);
    parser_normalize(text, size, memory, capacity, normal);
    if (normal->kind == PARSER_NORMAL_NO) {
        return ERR_OK;
    }
    oid_t types[PARSER_LITERALS_MAX];
    for (uint32_t i = 0; i < normal->literal_count; i++) {
        types[i] = literal_type(normal->literals[i].kind);
    }
    TRY(session__begin_implicit(task, session, diag));
    struct prepared *prepared = cached_statement(task, session, normal, types);
    if (prepared == NULL) {
        /* Planning may have failed because the transaction did (a lock wait was cancelled): the
         * slow way finds out again. */
        return ERR_OK;
    }
    struct datum *params =
        arena_array(&session->statement, (size_t)normal->literal_count + 1, sizeof *params);
    if (!convert_literals(session, normal, prepared, params)) {
        return ERR_OK;
    }
    *done = true;
    prepared->references++; /* the cache may let go of it meanwhile */
    enum err err = run_once(task, session, prepared, params, diag);
    prepared__release(prepared);
    TRY(err);
    return session__end_implicit(task, session, diag);
}

/* text NULL: it is not known yet, or none. */
static void
statement_starts(struct sql_session *session, const char *text, size_t size)
{
    __atomic_store_n(&session->in_statement, true, __ATOMIC_RELAXED);
    activity__starts(session, text, size);
}

void
sql_session_set_busy(struct sql_session *session, bool busy)
{
    __atomic_store_n(
        &session->in_statement, busy || session->block != BLOCK_NONE, __ATOMIC_RELAXED);
}

/* After an error, too. */
static enum err
finish(struct task *task, struct sql_session *session, enum err err)
{
    if (err != ERR_OK) {
        session__fail(task, session);
    }
    bool in_block = session->block != BLOCK_NONE;
    __atomic_store_n(&session->in_statement, in_block, __ATOMIC_RELAXED);
    arena_reset(&session->statement);
    return err;
}

/* The same where the client is to speak next. */
static enum err
finish_all(struct task *task, struct sql_session *session, enum err err)
{
    err = finish(task, session, err);
    activity__ends(session);
    return err;
}

enum err
sql_session_query(struct task *task, struct sql_session *session, const char *text, size_t size,
    struct diag *diag)
{
    statement_starts(session, text, size);
    /* A simple query destroys the unnamed portal and statement (protocol, 55.2.3). */
    sql_session_close_portal(task, session, "");
    bool done = false;
    session->source.text = text;
    session->source.size = size;
    enum err err = check_text(session, text, size, diag);
    if (err == ERR_OK) {
        err = run_cached(task, session, text, size, &done, diag);
    }
    if (err == ERR_OK && !done) {
        err = run_text(task, session, text, size, diag);
        if (err == ERR_OK) {
            err = session__end_implicit(task, session, diag);
        }
    }
    return finish_all(task, session, err);
}

/* ---- the extended protocol
 * --------------------------------------------------------------------------- */

enum err
sql_session_parse(struct task *task, struct sql_session *session, const char *name,
    const char *text, const oid_t *types, uint32_t type_count, struct diag *diag)
{
    statement_starts(session, text, strlen(text));
    if (name[0] == '\0') {
        prepared__drop(session, "");
    } else {
        LIST_FOREACH (node, &session->statements) {
            if (strcmp(LIST_ENTRY(node, struct prepared, node)->name, name) == 0) {
                return finish(task, session,
                    diag_set(diag, ERR_DUPLICATE_PREPARED,
                        "prepared statement \"%s\" already exists", name));
            }
        }
    }
    struct prepared *prepared = NULL;
    enum err err = check_text(session, text, strlen(text), diag);
    if (err == ERR_OK) {
        err = prepared__new(
            session, name, text, strlen(text), NULL, types, type_count, &prepared, diag);
    }
    if (err == ERR_OK && prepared->statement != NULL && session->block == BLOCK_FAILED &&
        !allowed_when_failed(prepared)) {
        err = diag_set(diag, ERR_IN_FAILED_TRANSACTION,
            "current transaction is aborted, commands ignored until end of transaction block");
        prepared__release(prepared);
        return finish(task, session, err);
    }
    if (err == ERR_OK && prepared__is_query(prepared)) {
        err = session__begin_implicit(task, session, diag);
        err = err == ERR_OK ? prepared__plan(task, session, prepared, diag) : err;
        if (err != ERR_OK) {
            prepared__release(prepared);
        }
    } else if (err == ERR_OK && prepared->statement != NULL &&
               prepared->statement->body->kind == AST_DECLARE_CURSOR) {
        err = session__begin_implicit(task, session, diag);
        err = err == ERR_OK ? cursor__prepare(task, session, prepared, diag) : err;
        if (err != ERR_OK) {
            prepared__release(prepared);
        }
    } else if (err == ERR_OK) {
        utility__describe(session, prepared);
    }
    if (err == ERR_OK) {
        if (name[0] == '\0') {
            session->unnamed = prepared;
        } else {
            list_push_back(&session->statements, &prepared->node);
        }
    }
    return finish(task, session, err);
}

/* Reading such a value asks the catalog, as it is now. */
static bool
needs_catalog(oid_t type)
{
    return type >= TYPE_USER_FIRST || type == TYPE_REGCLASS || type == TYPE_REGTYPE ||
           type == TYPE_REGNAMESPACE || type == TYPE_REGROLE || type == TYPE_REGPROC ||
           type == TYPE_REGPROCEDURE;
}

static enum err
read_parameters(struct task *task, struct sql_session *session, struct portal *portal,
    const struct sql_parameter *parameters, uint32_t count, struct diag *diag)
{
    struct eval eval = {.task = task, .arena = &portal->arena, .diag = diag, .env = &session->env};
    portal->params = arena_array(&portal->arena, (size_t)count + 1, sizeof *portal->params);
    for (uint32_t i = 0; i < count; i++) {
        if (needs_catalog(portal->prepared->param_types[i])) {
            TRY(prepared__plan(task, session, portal->prepared, diag));
            session->env.catalog = portal->prepared->planned->catalog;
            break;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_parameter *from = &parameters[i];
        oid_t type = portal->prepared->param_types[i];
        if (from->null) {
            portal->params[i] = datum_null();
            continue;
        }
        /* The message's bytes are gone before the portal is. */
        struct slice bytes = slice_of(
            arena_copy(&portal->arena, from->bytes.data, from->bytes.size), from->bytes.size);
        if (!from->binary) {
            TRY(check_encoding((const char *)bytes.data, bytes.size, diag));
        }
        enum err err = from->binary ? type_receive(&eval, type, -1, bytes, &portal->params[i])
                                    : type_input(&eval, type, -1, bytes, &portal->params[i]);
        if (err == ERR_INVALID_BINARY && strncmp(diag->message, "incorrect", 9) == 0) {
            return diag_set(diag, ERR_INVALID_BINARY,
                "incorrect binary data format in bind parameter %u", i + 1);
        }
        TRY(err);
    }
    return ERR_OK;
}

static enum err
spread_formats(struct portal *portal, const bool *formats, uint32_t count, struct diag *diag)
{
    uint32_t columns = portal->prepared->column_count;
    if (count > 1 && count != columns) {
        return diag_set(diag, ERR_PROTOCOL,
            "bind message has %u result formats but query has %u columns", count, columns);
    }
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        any = any || formats[i];
    }
    if (any) {
        portal->binary = arena_array(&portal->arena, (size_t)columns + 1, sizeof(bool));
        for (uint32_t i = 0; i < columns; i++) {
            portal->binary[i] = formats[count == 1 ? 0 : i];
        }
    }
    return ERR_OK;
}

static enum err
bind(struct task *task, struct sql_session *session, const char *name, const char *statement,
    const struct sql_parameter *parameters, uint32_t parameter_count, const bool *formats,
    uint32_t format_count, struct diag *diag)
{
    struct prepared *prepared = prepared__find(session, statement, diag);
    if (prepared == NULL) {
        return ERR_INVALID_STATEMENT_NAME;
    }
    if (session->block == BLOCK_FAILED && prepared->statement != NULL &&
        !allowed_when_failed(prepared)) {
        return diag_set(diag, ERR_IN_FAILED_TRANSACTION,
            "current transaction is aborted, commands ignored until end of transaction block");
    }
    if (parameter_count != prepared->param_count) {
        return diag_set(diag, ERR_PROTOCOL,
            "bind message supplies %u parameters, but prepared statement \"%s\" requires %u",
            parameter_count, statement, prepared->param_count);
    }
    if (name[0] == '\0') {
        sql_session_close_portal(task, session, "");
    } else if (portal__find(session, name) != NULL) {
        return diag_set(diag, ERR_DUPLICATE_CURSOR, "cursor \"%s\" already exists", name);
    }
    if (prepared->statement != NULL && session->block == BLOCK_NONE) {
        TRY(session__begin_implicit(task, session, diag));
    }
    struct portal *portal = mem_alloc(sizeof *portal);
    portal__create(portal, prepared);
    portal->name = mem_strdup(name);
    list_push_back(&session->portals, &portal->node);
    TRY(read_parameters(task, session, portal, parameters, parameter_count, diag));
    return spread_formats(portal, formats, format_count, diag);
}

enum err
sql_session_bind(struct task *task, struct sql_session *session, const char *portal,
    const char *statement, const struct sql_parameter *parameters, uint32_t parameter_count,
    const bool *result_binary, uint32_t result_count, struct diag *diag)
{
    statement_starts(session, NULL, 0);
    return finish(task, session,
        bind(task, session, portal, statement, parameters, parameter_count, result_binary,
            result_count, diag));
}

enum err
sql_session_describe_statement(struct task *task, struct sql_session *session, const char *name,
    struct sql_description *description, struct diag *diag)
{
    struct prepared *prepared = prepared__find(session, name, diag);
    if (prepared == NULL) {
        return finish(task, session, ERR_INVALID_STATEMENT_NAME);
    }
    *description = (struct sql_description){
        .param_types = prepared->param_types,
        .param_count = prepared->param_count,
        .returns_rows = prepared->returns_rows,
        .columns = prepared->columns,
        .column_count = prepared->column_count,
    };
    return ERR_OK;
}

static enum err
no_portal(const char *name, struct diag *diag)
{
    return diag_set(diag, ERR_INVALID_CURSOR_NAME, "portal \"%s\" does not exist", name);
}

enum err
sql_session_describe_portal(struct task *task, struct sql_session *session, const char *name,
    struct sql_description *description, struct diag *diag)
{
    const struct portal *portal = portal__find(session, name);
    if (portal == NULL) {
        return finish(task, session, no_portal(name, diag));
    }
    *description = (struct sql_description){
        .returns_rows = portal->prepared->returns_rows,
        .columns = portal->prepared->columns,
        .binary = portal->binary,
        .column_count = portal->prepared->column_count,
    };
    return ERR_OK;
}

enum err
sql_session_execute(struct task *task, struct sql_session *session, const char *name,
    uint64_t rows_max, bool *suspended, struct diag *diag)
{
    __atomic_store_n(&session->in_statement, true, __ATOMIC_RELAXED);
    *suspended = false;
    struct portal *portal = portal__find(session, name);
    if (portal == NULL) {
        return finish(task, session, no_portal(name, diag));
    }
    if (portal->state == PORTAL_DONE && portal->exec == NULL) {
        return finish(
            task, session, diag_set(diag, ERR_OBJECT_STATE, "portal \"%s\" cannot be run", name));
    }
    if (portal->cursor != NULL) {
        return finish(task, session,
            diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                "cursor \"%s\" was made by DECLARE: its rows come by FETCH", name));
    }
    /* A transaction statement closes all portals, this one too: keep what it runs alive. */
    struct prepared *prepared = portal->prepared;
    prepared->references++;
    activity__starts(session, prepared->text, prepared->size);
    enum err err = ERR_OK;
    if (prepared->statement != NULL && session->block == BLOCK_NONE) {
        err = session__begin_implicit(task, session, diag);
    }
    if (err == ERR_OK && !prepared__is_query(prepared)) {
        list_remove(&portal->node);
        err = portal__run(task, session, portal, 0, false, suspended, diag);
        portal->state = PORTAL_DONE;
        list_push_back(&session->portals, &portal->node);
    } else if (err == ERR_OK) {
        err = portal__run(task, session, portal, rows_max, false, suspended, diag);
    }
    prepared__release(prepared);
    return finish(task, session, err);
}

void
sql_session_close_statement(struct task *task, struct sql_session *session, const char *name)
{
    (void)task;
    prepared__drop(session, name);
}

enum err
sql_session_sync(struct task *task, struct sql_session *session, struct diag *diag)
{
    statement_starts(session, NULL, 0);
    if (session->block == BLOCK_NONE) {
        portal__close_all(task, session);
    }
    enum err err = session__end_implicit(task, session, diag);
    return finish_all(task, session, err);
}

void
sql_session_abort(struct task *task, struct sql_session *session)
{
    (void)finish(task, session, ERR_PROTOCOL);
}
