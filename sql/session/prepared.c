/* sql/session/prepared.c - statements: parsed once, planned when needed, planned anew when the
 * catalog has changed. */
#include "base/assert.h"
#include "base/mem.h"
#include "sql/bind/bind.h"
#include "sql/session/session_internal.h"

bool
statement_is_query(const struct ast_statement *statement)
{
    switch (statement->body->kind) {
    case AST_SELECT:
    case AST_INSERT:
    case AST_UPDATE:
    case AST_DELETE:
    case AST_CALL_STATEMENT:
        return true;
    default:
        return false;
    }
}

bool
prepared__is_query(const struct prepared *prepared)
{
    return prepared->statement != NULL && statement_is_query(prepared->statement);
}

/* statement: a tree whose arena outlives this call only, or NULL: parse the text. */
enum err
prepared__new(struct sql_session *session, const char *name, const char *text, size_t size,
    const struct ast_statement *statement, const oid_t *types, uint32_t type_count,
    struct prepared **prepared_out, struct diag *diag)
{
    (void)session;
    struct prepared *prepared = mem_zalloc(sizeof *prepared);
    prepared->references = 1;
    prepared->name = mem_strdup(name);
    arena_create_small(&prepared->arena, "prepared statement");
    prepared->text = arena_strndup(&prepared->arena, text, size);
    prepared->size = size;
    prepared->statement = statement;
    enum err err = ERR_OK;
    if (statement == NULL) {
        struct ast_list *list = NULL;
        err = parser_parse(&prepared->arena, prepared->text, size, &list, diag);
        if (err == ERR_OK && ast_list_count(list) > 1) {
            err = diag_set(
                diag, ERR_SYNTAX, "cannot insert multiple commands into a prepared statement");
        }
        if (err == ERR_OK && ast_list_count(list) == 1) {
            prepared->statement = ast_as_statement(ast_list_at(list, 0));
        }
    }
    if (err != ERR_OK) {
        prepared__release(prepared);
        return err;
    }
    prepared->given_count = type_count;
    prepared->given_types = arena_copy(&prepared->arena, types, type_count * sizeof *types);
    *prepared_out = prepared;
    return ERR_OK;
}

void
prepared__release(struct prepared *prepared)
{
    ASSERT(prepared->references > 0);
    if (--prepared->references > 0) {
        return;
    }
    if (prepared->planned != NULL) {
        planned__release(prepared->planned);
    }
    if (prepared->inner != NULL) {
        prepared__release(prepared->inner);
    }
    arena_destroy(&prepared->arena);
    mem_free(prepared->name);
    mem_free(prepared);
}

/* ---- planning
 * ------------------------------------------------------------------------------------ */

struct planned *
planned__hold(struct planned *planned)
{
    planned->references++;
    return planned;
}

void
planned__release(struct planned *planned)
{
    ASSERT(planned->references > 0);
    if (--planned->references > 0) {
        return;
    }
    catalog_release(planned->catalog);
    arena_destroy(&planned->arena);
    mem_free(planned);
}

void
planned__release_all(struct planned **planned, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (planned[i] != NULL) {
            planned__release(planned[i]);
        }
    }
    mem_free(planned);
}

/* Takes over the catalog's reference. */
static enum err
make_plan(struct task *task, struct sql_session *session, struct catalog *catalog,
    const struct ast_node *node, const char *text, const oid_t *given, uint32_t given_count,
    uint32_t param_max, const struct planned_names *names, const struct datum *params,
    struct planned **planned_out, struct diag *diag)
{
    struct planned *planned = mem_zalloc(sizeof *planned);
    planned->references = 1;
    planned->catalog = catalog;
    planned->path_generation = session->path_generation;
    arena_create_small(&planned->arena, "plan");
    uint32_t count = given_count > param_max ? given_count : param_max;
    oid_t *types = arena_array(&planned->arena, (size_t)count + 1, sizeof *types);
    if (given_count > 0) {
        memcpy(types, given, given_count * sizeof *types);
    }
    session->env.catalog = catalog;
    struct plan_context context = {
        .arena = &planned->arena,
        .diag = diag,
        .catalog = catalog,
        .env = &session->env,
        .remote = session->remote != NULL,
        .refreshes = session->refreshes,
        .db = session->engine->db,
        .text = text,
        .param_types = types,
        .param_count = given_count,
        .param_max = count,
        .param_names = names == NULL ? NULL : names->names,
        .param_name_count = names == NULL ? 0 : names->count,
        .routine_name = names == NULL ? NULL : names->routine,
        .result = names == NULL ? NULL : names->result,
        .param_values = params,
        .param_value_count = params == NULL ? 0 : given_count,
    };
    enum err err = plan_make(task, &context, node, &planned->plan);
    if (err == ERR_OK) {
        err = exec_compile(&planned->arena, planned->plan, &planned->program, diag);
    }
    if (err != ERR_OK) {
        planned__release(planned);
        return err;
    }
    *planned_out = planned;
    return ERR_OK;
}

static enum err
lock_tables(
    struct task *task, struct sql_session *session, const struct plan *plan, struct diag *diag)
{
    for (uint32_t i = 0; i < plan->lock_count; i++) {
        const struct plan_table_lock *lock = &plan->locks[i];
        TRY(txn_lock_table(
            task, session->txn, lock->relation, lock->name, lock->mode, TXN_WAIT, diag));
    }
    return ERR_OK;
}

/* A replanned statement must give the columns it was described with. */
static enum err
check_same_result(const struct plan_column *old, uint32_t old_count, bool old_rows,
    const struct plan *plan, struct diag *diag)
{
    bool same = old_rows == plan->returns_rows && old_count == plan->column_count;
    for (uint32_t i = 0; same && i < old_count; i++) {
        same = old[i].type == plan->columns[i].type && old[i].typmod == plan->columns[i].typmod;
    }
    if (same) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "cached plan must not change result type");
    diag->routine =
        "RevalidateCachedQuery"; /* JDBC and asyncpg know it by this, and prepare anew */
    return ERR_FEATURE_NOT_SUPPORTED;
}

static void
describe(struct prepared *prepared)
{
    const struct plan *plan = prepared->planned->plan;
    prepared->param_types =
        arena_copy(&prepared->arena, plan->param_types, plan->param_count * sizeof(oid_t));
    prepared->param_count = plan->param_count;
    prepared->returns_rows = plan->returns_rows;
    prepared->column_count = plan->column_count;
    struct plan_column *columns =
        arena_array(&prepared->arena, (size_t)plan->column_count + 1, sizeof *columns);
    for (uint32_t i = 0; i < plan->column_count; i++) {
        columns[i] = plan->columns[i];
        columns[i].name = arena_strdup(&prepared->arena, plan->columns[i].name);
    }
    prepared->columns = columns;
    prepared->described = true;
}

static bool
same_params(const struct prepared *prepared)
{
    const struct plan *plan = prepared->planned->plan;
    return plan->param_count == prepared->param_count &&
           memcmp(plan->param_types, prepared->param_types,
               plan->param_count * sizeof *plan->param_types) == 0;
}

/* Is the plan made of the catalog as it is now? */
bool
prepared__is_current(const struct sql_session *session, const struct prepared *prepared)
{
    return prepared->planned != NULL &&
           prepared->planned->path_generation == session->path_generation &&
           catalog_is_current(prepared->planned->catalog, session->engine->catalogs, session->txn);
}

enum err
planned__renew(struct task *task, struct sql_session *session, const struct ast_node *node,
    const char *text, const oid_t *types, uint32_t type_count, uint32_t param_max,
    struct planned **planned, struct diag *diag)
{
    return planned__renew_named(
        task, session, node, text, types, type_count, param_max, NULL, planned, diag);
}

enum err
planned__renew_named(struct task *task, struct sql_session *session, const struct ast_node *node,
    const char *text, const oid_t *types, uint32_t type_count, uint32_t param_max,
    const struct planned_names *names, struct planned **planned, struct diag *diag)
{
    struct catalog_store *store = session->engine->catalogs;
    bool locked = false;
    for (;;) {
        bool current = *planned != NULL &&
                       (*planned)->path_generation == session->path_generation &&
                       catalog_is_current((*planned)->catalog, store, session->txn);
        if (current && locked) {
            return ERR_OK;
        }
        if (!current) {
            struct catalog *catalog = NULL;
            TRY(catalog_get(task, store, session->txn, &catalog, diag));
            struct planned *made = NULL;
            TRY(make_plan(task, session, catalog, node, text, types, type_count, param_max, names,
                NULL, &made, diag));
            if (*planned != NULL) {
                planned__release(*planned);
            }
            *planned = made;
        }
        /* S4: whoever changes the tables while we wait for them moves the schema LSN, so look
         * again. */
        enum err err = lock_tables(task, session, (*planned)->plan, diag);
        if (err != ERR_OK) {
            planned__release(*planned);
            *planned = NULL;
            return err;
        }
        locked = true;
    }
}

enum err
prepared__plan(
    struct task *task, struct sql_session *session, struct prepared *prepared, struct diag *diag)
{
    if (!prepared__is_query(prepared)) {
        utility__describe(session, prepared);
        return ERR_OK;
    }
    /* Once described, the parameters' types stay. */
    const oid_t *types = prepared->described ? prepared->param_types : prepared->given_types;
    uint32_t count = prepared->described ? prepared->param_count : prepared->given_count;
    const struct planned *before = prepared->planned;
    uint32_t param_max = prepared->no_params ? 0 : prepared->statement->param_max;
    TRY(planned__renew(task, session, prepared->statement->body, prepared->text, types, count,
        param_max, &prepared->planned, diag));
    if (prepared->planned == before) {
        return ERR_OK;
    }
    if (!prepared->described) {
        describe(prepared);
        return ERR_OK;
    }
    enum err err = check_same_result(prepared->columns, prepared->column_count,
        prepared->returns_rows, prepared->planned->plan, diag);
    if (err != ERR_OK && prepared->cached && same_params(prepared)) {
        /* A text of the simple protocol was promised to nobody: its columns may change. */
        describe(prepared);
        return ERR_OK;
    }
    if (err != ERR_OK) {
        planned__release(prepared->planned);
        prepared->planned = NULL;
    }
    return err;
}

enum err
prepared__fit(struct task *task, struct sql_session *session, struct prepared *prepared,
    const struct datum *params, struct arena *arena, struct diag *diag)
{
    const struct plan *plan = prepared->planned->plan;
    if (plan->fit_count + plan->pin_count == 0 ||
        plan_fits(plan, task, arena, &session->env, params)) {
        return ERR_OK;
    }
    /* The same picture: with another the locks might have to be others. */
    struct catalog *catalog = catalog_hold(prepared->planned->catalog);
    struct planned *made = NULL;
    TRY(make_plan(task, session, catalog, prepared->statement->body, prepared->text,
        prepared->param_types, prepared->param_count, prepared->param_count, NULL, params, &made,
        diag));
    planned__release(prepared->planned);
    prepared->planned = made;
    return ERR_OK;
}

/* A snapshot older than an index it would read, or than a rewritten table, must not read it. */
static enum err
check_snapshot(const struct planned *planned, struct txn_snapshot snapshot, struct diag *diag)
{
    for (uint32_t i = 0; i < planned->plan->lock_count; i++) {
        const struct relation *relation =
            catalog_relation_by_oid(planned->catalog, planned->plan->locks[i].relation);
        if (relation != NULL) {
            TRY(catalog_check_snapshot(relation, snapshot, diag));
        }
    }
    return ERR_OK;
}

void
session__exec_context(struct sql_session *session, const struct catalog *catalog,
    struct arena *arena, struct diag *diag, struct exec_context *context)
{
    session->env.catalog = catalog;
    *context = (struct exec_context){
        .txn = session->txn,
        .snapshot = session->borrowed_snapshot != NULL ? *session->borrowed_snapshot
                                                       : txn_statement_begin(session->txn),
        .store = session->engine->catalogs,
        .catalog = catalog,
        .env = &session->env,
        .arena = arena,
        .work_mem = session->work_mem,
        .hash_mem = (uint64_t)((double)session->work_mem * session->hash_mem_multiplier),
        .memory_max = session->engine->statement_memory_max,
        .deferred = session->deferred,
        .spill_space = &session->spill_space,
        .remote = session->remote,
        .diag = diag,
    };
    if (session->debug_work_mem >= 0) {
        context->work_mem = (uint64_t)session->debug_work_mem;
        context->hash_mem = context->work_mem;
    }
}

static const char *
statement_word(const struct plan *plan)
{
    switch (plan->statement) {
    case STATEMENT_INSERT:
        return "INSERT";
    case STATEMENT_UPDATE:
        return "UPDATE";
    case STATEMENT_DELETE:
        return "DELETE";
    case STATEMENT_SELECT:
        break;
    }
    return "SELECT FOR UPDATE";
}

enum err
planned__open(struct task *task, struct sql_session *session, const struct planned *planned,
    struct arena *arena, const struct datum *params, bool count, struct exec **exec,
    struct diag *diag)
{
    if (planned->plan->writes && txn_read_only(session->txn)) {
        return diag_set(diag, ERR_READ_ONLY_TRANSACTION,
            "cannot execute %s in a read-only transaction", statement_word(planned->plan));
    }
    if (planned->plan->unpopulated != NULL) {
        (void)diag_set(diag, ERR_OBJECT_STATE, "materialized view \"%s\" has not been populated",
            planned->plan->unpopulated);
        diag_hint(diag, "Use the REFRESH MATERIALIZED VIEW command.");
        return ERR_OBJECT_STATE;
    }
    struct txn *txn = session->txn;
    if (session->deferrable && !txn_has_snapshot(txn) && txn_read_only(txn) &&
        txn_isolation(txn) == TXN_SERIALIZABLE) {
        TRY(txn_wait_for_safe_snapshot(task, txn, diag));
    }
    TRY(route__before_snapshot(task, session, diag));
    struct exec_context context;
    session__exec_context(session, planned->catalog, arena, diag, &context);
    context.params = params;
    context.count = count;
    uint64_t taken = context.snapshot.lsn.v;
    TRY(route__hide_sagas(task, session, planned, &context.snapshot, diag));
    TRY(route__check(task, session, planned, context.snapshot, diag));
    bool newest = txn_isolation(session->txn) == TXN_READ_COMMITTED &&
                  context.snapshot.lsn.v >= taken; /* not as of an earlier moment */
    if (!newest) {
        TRY(check_snapshot(planned, context.snapshot, diag));
    } else if (session->borrowed_snapshot != NULL &&
               check_snapshot(planned, context.snapshot, NULL) != ERR_OK) {
        /* A function's table was locked only now, and has an index the caller's snapshot lacks. */
        context.snapshot = txn_statement_begin(txn);
    }
    return exec_open(task, planned->program, &context, exec);
}

/* ---- for who sends statements elsewhere --------------------------------------------------------
 */

bool
sql_session_has_savepoints(const struct sql_session *session)
{
    return session->savepoint_count > 0;
}

void
sql_session_set_relayed(struct sql_session *session)
{
    session->relayed = true;
    session->idempotency_key = "";
}

void
sql_session_set_remote(struct sql_session *session, const struct exec_remote *remote)
{
    session->remote = remote;
}

bool
sql_session_has_portal(struct sql_session *session, const char *name)
{
    return portal__find(session, name) != NULL;
}

static enum err
bind_statement(
    struct binder *binder, const struct ast_node *statement, struct sql_inspection *inspection)
{
    switch (statement->kind) {
    case AST_SELECT:
        TRY(bind_select(binder, NULL, ast_as_select(statement), &inspection->query));
        break;
    case AST_INSERT:
        TRY(bind_insert(binder, ast_as_insert(statement), &inspection->modify));
        break;
    case AST_UPDATE:
        TRY(bind_update(binder, ast_as_update(statement), &inspection->modify));
        break;
    default:
        TRY(bind_delete(binder, ast_as_delete(statement), &inspection->modify));
        break;
    }
    return bind_finish_params(binder);
}

enum err
sql_session_inspect(struct task *task, struct sql_session *session,
    const struct ast_node *statement, const char *text, const oid_t *types, uint32_t type_count,
    uint32_t param_max, enum err (*look)(void *arg, const struct sql_inspection *inspection),
    void *arg, struct diag *diag)
{
    return session__inspect(
        task, session, statement, text, types, type_count, param_max, NULL, look, arg, diag);
}

enum err
session__inspect(struct task *task, struct sql_session *session, const struct ast_node *statement,
    const char *text, const oid_t *types, uint32_t type_count, uint32_t param_max,
    const struct planned_names *names,
    enum err (*look)(void *arg, const struct sql_inspection *inspection), void *arg,
    struct diag *diag)
{
    bool own = session->block == BLOCK_NONE;
    struct arena arena;
    if (session->block == BLOCK_FAILED) {
        return diag_set(diag, ERR_IN_FAILED_TRANSACTION,
            "current transaction is aborted, commands ignored until end of transaction block");
    }
    TRY(session__begin_implicit(task, session, diag));
    arena_create(&arena, "inspection");
    struct catalog *catalog = NULL;
    enum err err = catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag);
    if (err == ERR_OK) {
        uint32_t count = type_count > param_max ? type_count : param_max;
        oid_t *known = arena_array(&arena, (size_t)count + 1, sizeof *known);
        if (type_count > 0) {
            memcpy(known, types, type_count * sizeof *known);
        }
        session->env.catalog = catalog;
        struct plan_context context = {
            .arena = &arena,
            .diag = diag,
            .catalog = catalog,
            .env = &session->env,
            .text = text,
            .param_types = known,
            .param_count = type_count,
            .param_max = count,
            .param_names = names == NULL ? NULL : names->names,
            .param_name_count = names == NULL ? 0 : names->count,
            .routine_name = names == NULL ? NULL : names->routine,
        };
        struct binder binder;
        struct sql_inspection inspection = {.catalog = catalog, .arena = &arena};
        bind_start(&binder, task, &context);
        err = bind_statement(&binder, statement, &inspection);
        inspection.param_types = known;
        inspection.param_count = context.param_count;
        inspection.writes = binder.writes || inspection.modify != NULL;
        inspection.modifying = binder.modifying.count > 0;
        inspection.advisory = binder.advisory;
        if (err == ERR_OK) {
            err = look(arg, &inspection);
        }
        catalog_release(catalog);
    }
    arena_destroy(&arena);
    if (own) {
        session__rollback_all(task, session);
    }
    return err;
}

/* ---- named statements and the text cache
 * ------------------------------------------------------------ */

static struct prepared *
find(struct sql_session *session, const char *name)
{
    if (name[0] == '\0') {
        return session->unnamed;
    }
    LIST_FOREACH (node, &session->statements) {
        struct prepared *prepared = LIST_ENTRY(node, struct prepared, node);
        if (strcmp(prepared->name, name) == 0) {
            return prepared;
        }
    }
    return NULL;
}

struct prepared *
prepared__find(struct sql_session *session, const char *name, struct diag *diag)
{
    struct prepared *prepared = find(session, name);
    if (prepared == NULL) {
        if (name[0] == '\0') {
            (void)diag_set(
                diag, ERR_INVALID_STATEMENT_NAME, "unnamed prepared statement does not exist");
        } else {
            (void)diag_set(
                diag, ERR_INVALID_STATEMENT_NAME, "prepared statement \"%s\" does not exist", name);
        }
    }
    return prepared;
}

void
prepared__drop(struct sql_session *session, const char *name)
{
    struct prepared *prepared = find(session, name);
    if (prepared == NULL) {
        return;
    }
    if (prepared == session->unnamed) {
        session->unnamed = NULL;
    } else {
        list_remove(&prepared->node);
    }
    prepared__release(prepared);
}

void
prepared__uncache(struct sql_session *session, struct prepared *prepared)
{
    struct prepared **link = &session->cache[prepared->hash % CACHE_BUCKETS];
    while (*link != prepared) {
        link = &(*link)->chain;
    }
    *link = prepared->chain;
    list_remove(&prepared->node);
    session->cache_count--;
    prepared__release(prepared);
}

void
prepared__drop_cached(struct sql_session *session)
{
    while (!list_empty(&session->cache_ages)) {
        prepared__uncache(session, LIST_ENTRY(session->cache_ages.next, struct prepared, node));
    }
}

void
prepared__drop_all(struct sql_session *session)
{
    prepared__drop(session, "");
    while (!list_empty(&session->statements)) {
        struct prepared *prepared = LIST_ENTRY(session->statements.next, struct prepared, node);
        list_remove(&prepared->node);
        prepared__release(prepared);
    }
    prepared__drop_cached(session);
}

struct prepared *
prepared__cached(struct sql_session *session, uint64_t hash, const char *text, size_t size,
    const oid_t *types, uint32_t type_count)
{
    struct prepared *at = session->cache[hash % CACHE_BUCKETS];
    while (at != NULL && (at->hash != hash || at->size != size || at->given_count != type_count ||
                             memcmp(at->text, text, size) != 0 ||
                             memcmp(at->given_types, types, type_count * sizeof *types) != 0)) {
        at = at->chain;
    }
    if (at != NULL && session->cache_ages.prev != &at->node) {
        list_remove(&at->node);
        list_push_back(&session->cache_ages, &at->node); /* the youngest */
    }
    return at;
}

void
prepared__cache(struct sql_session *session, struct prepared *prepared, uint64_t hash)
{
    if (session->cache_count >= CACHED_TEXTS_MAX) {
        prepared__uncache(session, LIST_ENTRY(session->cache_ages.next, struct prepared, node));
    }
    prepared->cached = true;
    prepared->hash = hash;
    prepared->chain = session->cache[hash % CACHE_BUCKETS];
    session->cache[hash % CACHE_BUCKETS] = prepared;
    list_push_back(&session->cache_ages, &prepared->node);
    session->cache_count++;
}
