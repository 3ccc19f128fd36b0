/*
 * sql/session/analyze.c - ANALYZE, and the task that gathers statistics by itself.
 *
 * The task looks at every table now and then, and analyzes those of which enough rows have changed
 * (statistics_are_stale), each in a transaction of its own, one at a time. It also removes
 * idempotency keys that are too old.
 */
#include "base/assert.h"
#include "sql/catalog/access.h"
#include "sql/catalog/statistics.h"
#include "sql/session/session_internal.h"

enum {
    LOOK_PERIOD_US = 5 * 1000 * 1000,
    STOP_POLL_US = 1000,
};

/* The relation as it is once its lock is held, or NULL if it is gone. The reference to *catalog is
 * the caller's. */
static enum err
lock_relation(struct task *task, struct sql_engine *engine, struct txn *txn, oid_t oid,
    struct catalog **catalog, const struct relation **relation, struct diag *diag)
{
    for (;;) {
        TRY(catalog_get(task, engine->catalogs, txn, catalog, diag));
        *relation = catalog_relation_by_oid(*catalog, oid);
        if (*relation == NULL || (*relation)->kind != RELATION_TABLE) {
            *relation = NULL;
            return ERR_OK;
        }
        enum err err = txn_lock_table(
            task, txn, oid, (*relation)->name, TXN_SHARE_UPDATE_EXCLUSIVE, TXN_WAIT, diag);
        if (err == ERR_OK && catalog_is_current(*catalog, engine->catalogs, txn)) {
            return ERR_OK;
        }
        catalog_release(*catalog);
        *catalog = NULL;
        TRY(err);
    }
}

static enum err
analyze_relation(
    struct task *task, struct sql_engine *engine, struct txn *txn, oid_t oid, struct diag *diag)
{
    struct catalog *catalog = NULL;
    const struct relation *relation = NULL;
    TRY(lock_relation(task, engine, txn, oid, &catalog, &relation, diag));
    enum err err =
        relation == NULL ? ERR_OK : statistics_gather(task, engine->catalogs, txn, relation, diag);
    catalog_release(catalog);
    if (err == ERR_OK && relation != NULL) {
        catalog_invalidate(engine->catalogs, txn);
    }
    return err;
}

/* The tables' OIDs, from the catalog as it is now. */
static enum err
all_tables(struct task *task, struct sql_engine *engine, struct txn *txn, bool stale_only,
    struct arena *arena, oid_t **list, size_t *count, struct diag *diag)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, engine->catalogs, txn, &catalog, diag));
    size_t most = 0;
    while (catalog_relation_at(catalog, most) != NULL) {
        most++;
    }
    *list = arena_array(arena, most + 1, sizeof **list);
    *count = 0;
    for (size_t i = 0; i < most; i++) {
        const struct relation *relation = catalog_relation_at(catalog, i);
        if (relation->kind == RELATION_TABLE &&
            (!stale_only || statistics_are_stale(engine->catalogs, relation))) {
            (*list)[(*count)++] = relation->oid;
        }
    }
    catalog_release(catalog);
    return ERR_OK;
}

bool
analyze__may(struct sql_session *session, const struct catalog *catalog,
    const struct relation *relation, const char *what)
{
    oid_t role = catalog_current_role(catalog, &session->env);
    if (catalog_owns(catalog, role, relation->owner)) {
        return true;
    }
    session__warn(session, "WARNING", ERR_WARNING,
        "skipping \"%s\" --- only table or database owner can %s it", relation->name, what);
    return false;
}

enum err
analyze__run(struct task *task, struct sql_session *session, const struct ast_vacuum *statement,
    struct diag *diag)
{
    struct sql_engine *engine = session->engine;
    if (txn_read_only(session->txn)) {
        return ERR_OK; /* PostgreSQL would; here statistics are rows like any */
    }
    oid_t *list = NULL;
    size_t count = 0;
    if (ast_list_count(statement->tables) == 0) {
        TRY(all_tables(
            task, engine, session->txn, false, &session->statement, &list, &count, diag));
    } else {
        list = arena_array(&session->statement, ast_list_count(statement->tables), sizeof *list);
        AST_FOREACH(at, statement->tables)
        {
            const struct ast_table *name = ast_as_table(*at);
            TRY(catalog_check_database(&session->env, name, diag));
            struct catalog *catalog = NULL;
            TRY(catalog_get(task, engine->catalogs, session->txn, &catalog, diag));
            const struct relation *relation =
                catalog_relation_on(catalog, session->env.search_path, name->schema, name->name);
            if (relation != NULL &&
                (statement->vacuum || analyze__may(session, catalog, relation, "analyze"))) {
                list[count++] = relation->oid;
            }
            catalog_release(catalog);
        }
    }
    for (size_t i = 0; i < count; i++) {
        TRY(analyze_relation(task, engine, session->txn, list[i], diag));
    }
    return ERR_OK;
}

/* ---- by itself --------------------------------------------------------------------------------
 */

static void
analyze_alone(struct task *task, struct sql_engine *engine, struct txn *txn, oid_t oid)
{
    struct diag diag;
    if (txn_begin(task, txn, TXN_READ_COMMITTED, false, &diag) != ERR_OK) {
        return;
    }
    txn_set_lock_timeout(txn, LOOK_PERIOD_US);
    enum err err = analyze_relation(task, engine, txn, oid, &diag);
    if (err == ERR_OK) {
        err = txn_commit(task, txn, &diag);
    } else {
        txn_rollback(task, txn);
    }
    catalog_transaction_ended(engine->catalogs, txn);
    if (err != ERR_OK && !atomic_load(&engine->analyzer_stopping)) {
        world_log(
            engine->world, "statistics of relation %u were not gathered: %s", oid, diag.message);
    }
}

static void
look(struct task *task, struct sql_engine *engine, struct txn *txn)
{
    struct arena arena;
    struct diag diag;
    arena_create(&arena, "tables to analyze");
    oid_t *list = NULL;
    size_t count = 0;
    if (txn_begin(task, txn, TXN_READ_COMMITTED, true, &diag) == ERR_OK) {
        (void)all_tables(task, engine, txn, true, &arena, &list, &count, &diag);
        txn_rollback(task, txn);
    }
    for (size_t i = 0; i < count && !atomic_load(&engine->analyzer_stopping); i++) {
        analyze_alone(task, engine, txn, list[i]);
    }
    arena_destroy(&arena);
}

static void
analyzer_main(struct task *task, void *arg)
{
    struct sql_engine *engine = arg;
    engine->analyzer = task;
    atomic_store(&engine->analyzer_runs, true);
    struct txn *txn = txn_new(engine->db, 0);
    while (!atomic_load(&engine->analyzer_stopping)) {
        int64_t until = world_clock_us(engine->world) + LOOK_PERIOD_US;
        while (!atomic_load(&engine->analyzer_stopping) && world_clock_us(engine->world) < until) {
            task_park(task, until);
        }
        if (!atomic_load(&engine->analyzer_stopping)) {
            look(task, engine, txn);
            idempotency__expire(task, engine, txn);
        }
    }
    txn_delete(task, txn);
    /* Whoever stops us wakes us and must be done with that before this struct task goes. */
    while (!atomic_load(&engine->analyzer_may_end)) {
        task_park(task, world_clock_us(engine->world) + STOP_POLL_US);
    }
    atomic_store(&engine->analyzer_runs, false);
}

enum err
analyze__start(struct task *task, struct sql_engine *engine, struct diag *diag)
{
    TRY(task_spawn(engine->world, WORLD_ANY_WORKER, "statistics", analyzer_main, engine, diag));
    while (!atomic_load(&engine->analyzer_runs)) {
        task_park(task, world_clock_us(engine->world) + STOP_POLL_US);
    }
    return ERR_OK;
}

void
analyze__stop(struct task *task, struct sql_engine *engine)
{
    if (engine->analyzer == NULL) {
        return;
    }
    atomic_store(&engine->analyzer_stopping, true);
    task_interrupt(engine->analyzer, TASK_TERMINATE);
    atomic_store(&engine->analyzer_may_end, true);
    while (atomic_load(&engine->analyzer_runs)) {
        task_park(task, world_clock_us(engine->world) + STOP_POLL_US);
    }
}
