/* Helpers of the sql_catalog_ and sql_ddl_ tests: a database with a catalog, statements of DDL
 * without planner and executor, rows of catalog views, functions by name. */
#ifndef TESTS_UNIT_SQL_CATALOG_UTIL_H
#define TESTS_UNIT_SQL_CATALOG_UTIL_H

#include "base/assert.h"
#include "parser/parser.h"
#include "sql/catalog/catalog.h"
#include "sql/ddl/ddl.h"
#include "sql/plan/plan.h"
#include "tests/unit/txn_util.h"

/* cmocka's own jump out of the test's stack, which a task must not do. */
#define SAME(a, b)                                                                      \
    do {                                                                                \
        if ((a) != (b)) {                                                               \
            (void)fprintf(stderr, "%s:%d: %s is not %s\n", __FILE__, __LINE__, #a, #b); \
            abort();                                                                    \
        }                                                                               \
    } while (0)

#define SAME_TEXT(a, b)                                                                       \
    do {                                                                                      \
        const char *same_a = (a);                                                             \
        const char *same_b = (b);                                                             \
        if (strcmp(same_a, same_b) != 0) {                                                    \
            (void)fprintf(                                                                    \
                stderr, "%s:%d: \"%s\" is not \"%s\"\n", __FILE__, __LINE__, same_a, same_b); \
            abort();                                                                          \
        }                                                                                     \
    } while (0)

struct fixture {
    struct task *task;
    struct txn_db *db;
    struct catalog_store *store;
    struct txn *txn;
    struct arena arena;
    struct eval_env env;
    struct diag diag;
};

/* Any expression is accepted and none is looked at: these tests do not evaluate. */
static inline enum err
fixture_bind(struct task *task, struct ddl_context *context, const char *text,
    const struct relation *relation, oid_t type, int32_t typmod, struct expr **expr)
{
    (void)task;
    (void)relation;
    struct ast_node *node = NULL;
    TRY(parser_parse_expression(context->arena, text, strlen(text), &node, context->diag));
    *expr = arena_alloc(context->arena, sizeof **expr);
    **expr = (struct expr){.kind = EXPR_CONST, .type = type, .typmod = typmod, .location = -1};
    return ERR_OK;
}

static inline enum err
fixture_evaluate(
    struct eval *eval, const struct expr *expr, const struct datum *row, struct datum *result)
{
    (void)eval;
    (void)row;
    *result = expr->type == TYPE_BOOL ? datum_bool(true) : datum_null();
    return ERR_OK;
}

static const struct ddl_hooks fixture_hooks = {.bind = fixture_bind, .evaluate = fixture_evaluate};

static inline void
fixture_create(struct fixture *f, struct task *task, const char *directory)
{
    *f = (struct fixture){.task = task};
    struct diag diag;
    f->db = test_open_with(task, directory, 256 << 20, ddl_rebuild_index);
    OK(catalog_open(task, f->db, "tester", &f->store, &diag));
    f->txn = txn_new(f->db, 1);
    arena_create(&f->arena, "test");
    f->env = (struct eval_env){.world = task_world(task), .user = "tester", .database = "postgres"};
}

static inline void
fixture_close(struct fixture *f)
{
    txn_delete(f->task, f->txn);
    catalog_close(f->store);
    txn_db_close(f->task, f->db);
    arena_destroy(&f->arena);
}

static inline void
fixture_destroy(struct fixture *f)
{
    fixture_close(f);
    world_stop(task_world(f->task));
}

static inline void
fixture_begin(struct fixture *f)
{
    struct diag diag;
    OK(txn_begin(f->task, f->txn, TXN_READ_COMMITTED, false, &diag));
}

static inline void
fixture_commit(struct fixture *f)
{
    struct diag diag;
    OK(txn_commit(f->task, f->txn, &diag));
    catalog_transaction_ended(f->store, f->txn);
}

static inline void
fixture_rollback(struct fixture *f)
{
    txn_rollback(f->task, f->txn);
    catalog_transaction_ended(f->store, f->txn);
}

/* One statement of DDL in the transaction that is open. */
static inline enum err
fixture_ddl(struct fixture *f, const char *sql)
{
    struct ast_list *statements = NULL;
    TRY(parser_parse(&f->arena, sql, strlen(sql), &statements, &f->diag));
    const struct ast_statement *statement = ast_as_statement(ast_list_at(statements, 0));
    struct ddl_context context = {
        .store = f->store,
        .db = f->db,
        .txn = f->txn,
        .env = &f->env,
        .arena = &f->arena,
        .diag = &f->diag,
        .text = sql,
        .text_size = strlen(sql),
        .owner = 10,
        .hooks = &fixture_hooks,
    };
    const char *tag = NULL;
    (void)txn_statement_begin(f->txn);
    return ddl_execute(f->task, &context, statement->body, &tag);
}

/* In a transaction of its own; must succeed. */
static inline void
fixture_run(struct fixture *f, const char *sql)
{
    fixture_begin(f);
    enum err err = fixture_ddl(f, sql);
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", sql, f->diag.message);
        abort();
    }
    fixture_commit(f);
}

/* In a transaction of its own; must fail so. */
static inline void
fixture_fails(struct fixture *f, const char *sql, const char *sqlstate)
{
    fixture_begin(f);
    enum err err = fixture_ddl(f, sql);
    if (strcmp(err_sqlstate(err), sqlstate) != 0) {
        (void)fprintf(stderr, "%s: %s instead of %s\n", sql, err_sqlstate(err), sqlstate);
        abort();
    }
    fixture_rollback(f);
}

/* What the transaction now sees. */
static inline struct catalog *
fixture_catalog(struct fixture *f)
{
    struct diag diag;
    struct catalog *catalog = NULL;
    OK(catalog_get(f->task, f->store, f->txn, &catalog, &diag));
    return catalog;
}

/* ---- rows of a view -------------------------------------------------------------------------- */

struct view_rows {
    struct fixture *f;
    const struct relation *relation;
    size_t count;
    struct datum *rows[4096];
};

static inline enum err
view_emit(void *arg, const struct datum *values)
{
    struct view_rows *rows = arg;
    uint16_t columns = rows->relation->column_count;
    struct datum *copy = arena_array(&rows->f->arena, columns, sizeof *copy);
    for (uint16_t i = 0; i < columns; i++) {
        const struct column *column = &rows->relation->columns[i];
        ASSERT(!column->not_null || !values[i].null);
        copy[i] = values[i].null ? values[i] : datum_copy(&rows->f->arena, column->type, values[i]);
    }
    ASSERT(rows->count < 4096);
    rows->rows[rows->count++] = copy;
    return ERR_OK;
}

static inline void
view_read(struct fixture *f, const struct catalog *catalog, const char *schema, const char *name,
    struct view_rows *rows)
{
    struct diag diag;
    f->env.catalog = catalog;
    *rows = (struct view_rows){.f = f, .relation = catalog_relation(catalog, schema, name)};
    ASSERT(rows->relation != NULL && rows->relation->virtual_table != NULL);
    struct eval eval = {.task = f->task, .arena = &f->arena, .diag = &diag, .env = &f->env};
    OK(rows->relation->virtual_table->scan(&eval, catalog, view_emit, rows));
}

/* A column of a row as text; "<null>". */
static inline const char *
view_text(const struct view_rows *rows, size_t row, const char *column)
{
    int at = relation_column(rows->relation, column);
    ASSERT(at >= 0 && row < rows->count);
    struct datum value = rows->rows[row][at];
    if (value.null) {
        return "<null>";
    }
    struct buffer to = {0};
    type_output(&rows->f->env, rows->relation->columns[at].type, value, &to);
    const char *text = arena_strndup(&rows->f->arena, (const char *)to.data, to.size);
    buffer_destroy(&to);
    return text;
}

/* The first row whose column is this; rows->count if there is none. */
static inline size_t
view_find(const struct view_rows *rows, const char *column, const char *value)
{
    size_t row = 0;
    while (row < rows->count && strcmp(view_text(rows, row, column), value) != 0) {
        row++;
    }
    return row;
}

/* ---- functions ------------------------------------------------------------------------------- */

/* The function of this name with these argument types, called; its result as text. */
static inline const char *
call_text(struct fixture *f, const struct catalog *catalog, const char *name, int count,
    const oid_t *types, const struct datum *args)
{
    struct diag diag;
    f->env.catalog = catalog;
    struct eval eval = {.task = f->task, .arena = &f->arena, .diag = &diag, .env = &f->env};
    size_t found_count = 0;
    const struct function *found = function_by_name(name, &found_count);
    for (size_t i = 0; i < found_count; i++) {
        bool same = found[i].arg_count == count;
        for (int a = 0; same && a < count; a++) {
            same = found[i].args[a] == types[a];
        }
        if (same) {
            struct datum result;
            OK(found[i].call(&eval, args, count, &result));
            if (result.null) {
                return "<null>";
            }
            struct buffer to = {0};
            type_output(&f->env, found[i].result, result, &to);
            const char *text = arena_strndup(&f->arena, (const char *)to.data, to.size);
            buffer_destroy(&to);
            return text;
        }
    }
    (void)fprintf(stderr, "no function %s\n", name);
    abort();
}

static inline struct datum
text_arg(const char *text)
{
    return datum_bytes(text, strlen(text));
}

#endif
