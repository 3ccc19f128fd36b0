/*
 * The planner without an executor: statements over a small schema, and the plans they must get, as
 * EXPLAIN prints them; and statements that must be refused, with their SQLSTATE.
 */
#include "parser/parser.h"
#include "sql/ddl/ddl.h"
#include "sql/plan/plan.h"
#include "tests/unit/txn_util.h"

static enum err
bind_hook(struct task *task, struct ddl_context *context, const char *text,
    const struct relation *relation, oid_t type, int32_t typmod, struct expr **expr)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, context->store, context->txn, &catalog, context->diag));
    struct plan_context plan = {.arena = context->arena,
        .diag = context->diag,
        .catalog = catalog,
        .env = context->env,
        .text = text};
    enum err err = plan_bind_expression(task, &plan, text, relation, 0, type, typmod, expr);
    catalog_release(catalog);
    return err;
}

static const struct ddl_hooks hooks = {.bind = bind_hook};

struct fixture {
    struct task *task;
    struct txn_db *db;
    struct catalog_store *store;
    struct txn *txn;
    struct eval_env env;
    struct arena arena;
    struct diag diag;
    const char *const *param_names; /* two */
};

static const struct ast_statement *
parse(struct fixture *f, const char *sql)
{
    struct ast_list *list = NULL;
    struct diag diag;
    OK(parser_parse(&f->arena, sql, strlen(sql), &list, &diag));
    ASSERT(ast_list_count(list) == 1);
    return ast_as_statement(ast_list_at(list, 0));
}

static void
run_ddl(struct fixture *f, const char *sql)
{
    struct diag diag;
    OK(txn_begin(f->task, f->txn, TXN_READ_COMMITTED, false, &diag));
    struct ddl_context context = {.store = f->store,
        .db = f->db,
        .txn = f->txn,
        .env = &f->env,
        .arena = &f->arena,
        .diag = &diag,
        .text = sql,
        .text_size = strlen(sql),
        .owner = 10,
        .hooks = &hooks};
    const char *tag;
    OK(ddl_execute(f->task, &context, parse(f, sql)->body, &tag));
    OK(txn_commit(f->task, f->txn, &diag));
    catalog_transaction_ended(f->store, f->txn);
}

static void
add_line(void *arg, const char *text)
{
    struct buffer *to = arg;
    buffer_add_text(to, text);
    buffer_add_u8(to, '\n');
}

static enum err
plan(struct fixture *f, const char *sql, struct buffer *explained)
{
    oid_t params[8] = {0};
    struct diag diag;
    struct catalog *catalog = NULL;
    OK(txn_begin(f->task, f->txn, TXN_READ_COMMITTED, false, &diag));
    OK(catalog_get(f->task, f->store, f->txn, &catalog, &diag));
    diag_clear(&f->diag);
    struct plan_context context = {.arena = &f->arena,
        .diag = &f->diag,
        .catalog = catalog,
        .env = &f->env,
        .db = f->db,
        .text = sql,
        .param_types = params,
        .param_max = 8,
        .param_names = f->param_names,
        .param_name_count = f->param_names == NULL ? 0 : 2,
        .routine_name = "f"};
    struct plan *made = NULL;
    enum err err = plan_make(f->task, &context, parse(f, sql)->body, &made);
    if (err == ERR_OK) {
        plan_explain(made, NULL, (struct plan_explain_style){0}, NULL, NULL, add_line, explained);
    }
    catalog_release(catalog);
    txn_rollback(f->task, f->txn);
    return err;
}

static int failures;

static void
expect(struct fixture *f, const char *sql, const char *lines)
{
    struct buffer explained = {0};
    enum err err = plan(f, sql, &explained);
    buffer_add_u8(&explained, 0);
    if (err != ERR_OK || strcmp((const char *)explained.data, lines) != 0) {
        (void)fprintf(stderr, "%s\n  expected:\n%s  got (%s %s):\n%s\n", sql, lines,
            err_sqlstate(err), err == ERR_OK ? "" : f->diag.message, (const char *)explained.data);
        failures++;
    }
    buffer_destroy(&explained);
}

static void
refuse(struct fixture *f, const char *sql, const char *sqlstate)
{
    struct buffer explained = {0};
    enum err err = plan(f, sql, &explained);
    if (strcmp(err_sqlstate(err), sqlstate) != 0) {
        (void)fprintf(stderr, "%s\n  expected %s, got %s %s\n", sql, sqlstate, err_sqlstate(err),
            err == ERR_OK ? "" : f->diag.message);
        failures++;
    }
    buffer_destroy(&explained);
}

static void
test_access(struct fixture *f)
{
    expect(f, "select b from t where id = 5",
        "Index Scan using t_pkey on t\n"
        "  Index Cond: (id = 5)\n");
    expect(f, "select id from t where b = 5 and c = 'x'",
        "Index Scan using t_b on t\n"
        "  Index Cond: (b = 5)\n"
        "  Filter: (c = 'x'::text)\n");
    expect(f, "select b from t where b between 5 and 7",
        "Index Only Scan using t_b on t\n"
        "  Index Cond: ((b >= 5) AND (b <= 7))\n");
    expect(f, "select * from t where id in (1, 2, 3)",
        "Index Scan using t_pkey on t\n"
        "  Index Cond: (id = ANY (ARRAY[1, 2, 3]))\n");
    expect(f, "select * from t where c is null",
        "Seq Scan on t\n"
        "  Filter: (c IS NULL)\n");
    expect(f, "select * from t where id + 1 = 5",
        "Seq Scan on t\n"
        "  Filter: ((id + 1) = 5)\n");
    expect(f, "select * from t where id = $1 and b > $2",
        "Index Scan using t_pkey on t\n"
        "  Index Cond: (id = $1)\n"
        "  Filter: (b > $2)\n");
    expect(f, "select * from t where random() < 0.5 and 1 = 2",
        "Result\n"
        "  One-Time Filter: false\n"
        "  ->  Seq Scan on t\n");
    expect(f, "select * from big where k = 4", /* a narrower value */
        "Index Scan using big_pkey on big\n"
        "  Index Cond: (k = '4'::bigint)\n");
}

static void
test_order(struct fixture *f)
{
    expect(f, "select * from t order by id desc limit 3",
        "Limit\n"
        "  ->  Index Scan Backward using t_pkey on t\n");
    expect(f, "select * from t order by c",
        "Sort\n"
        "  Sort Key: c\n"
        "  ->  Seq Scan on t\n");
    expect(f, "select max(id) from t",
        "Aggregate\n"
        "  ->  Limit\n"
        "        ->  Index Scan Backward using t_pkey on t\n");
    expect(f, "select count(*) from t where b = 1 group by c having count(*) > 1",
        "HashAggregate\n"
        "  Group Key: c\n"
        "  Filter: (count(*) > 1)\n"
        "  ->  Index Scan using t_b on t\n"
        "        Index Cond: (b = 1)\n");
    expect(f, "select distinct c from t order by c",
        "Sort\n"
        "  Sort Key: c\n"
        "  ->  HashAggregate\n"
        "        Group Key: c\n"
        "        ->  Seq Scan on t\n");
}

static void
test_joins(struct fixture *f)
{
    expect(f, "select * from t join u on u.t_id = t.id where t.id = 1",
        "Nested Loop\n"
        "  ->  Index Scan using t_pkey on t\n"
        "        Index Cond: (id = 1)\n"
        "  ->  Index Scan using u_t_id on u\n"
        "        Index Cond: (t_id = 1)\n");
    expect(f, "select * from t join u on u.t_id = t.id",
        "Hash Join\n"
        "  Hash Cond: (u.t_id = t.id)\n"
        "  ->  Seq Scan on u\n"
        "  ->  Hash\n"
        "        ->  Seq Scan on t\n");
    /* The condition on the nullable side makes the join an inner one. */
    expect(f, "select * from t left join u on u.t_id = t.id where u.n = 1 and t.id = 2",
        "Nested Loop\n"
        "  ->  Index Scan using t_pkey on t\n"
        "        Index Cond: (id = 2)\n"
        "  ->  Index Scan using u_t_id on u\n"
        "        Index Cond: (t_id = 2)\n"
        "        Filter: (u.n = 1)\n");
    expect(f, "select * from t left join u on u.t_id = t.id and u.n = 1 where t.id = 2",
        "Nested Loop Left Join\n"
        "  ->  Index Scan using t_pkey on t\n"
        "        Index Cond: (id = 2)\n"
        "  ->  Index Scan using u_t_id on u\n"
        "        Index Cond: (t_id = t.id)\n"
        "        Filter: (u.n = 1)\n");
    expect(f, "select * from t full join u on u.t_id = t.id",
        "Hash Full Join\n"
        "  Hash Cond: (t.id = u.t_id)\n"
        "  ->  Seq Scan on t\n"
        "  ->  Hash\n"
        "        ->  Seq Scan on u\n");
    expect(f, "select * from (select id, b from t where c = 'x') s where s.id = 3",
        "Index Scan using t_pkey on t\n"
        "  Index Cond: (id = 3)\n"
        "  Filter: (c = 'x'::text)\n");
    expect(f, "select * from t where b in (select n from u where u.id < 3)",
        "Hash Semi Join\n"
        "  Hash Cond: (t.b = u.n)\n"
        "  ->  Seq Scan on t\n"
        "  ->  Hash\n"
        "        ->  Index Scan using u_pkey on u\n"
        "              Index Cond: (id < 3)\n");
    expect(f, "select * from generate_series(1, 3) g, t where t.id = g",
        "Hash Join\n"
        "  Hash Cond: (t.id = generate_series)\n"
        "  ->  Seq Scan on t\n"
        "  ->  Hash\n"
        "        ->  Function Scan on generate_series\n");
}

static void
test_changes(struct fixture *f)
{
    expect(f, "update t set b = b + 1 where id = 7",
        "Update on t\n"
        "  ->  Index Scan using t_pkey on t\n"
        "        Index Cond: (id = 7)\n");
    expect(f, "delete from t using u where u.id = 1 and t.id = u.t_id",
        "Delete on t\n"
        "  ->  Nested Loop\n"
        "        ->  Index Scan using u_pkey on u\n"
        "              Index Cond: (id = 1)\n"
        "        ->  Index Scan using t_pkey on t\n"
        "              Index Cond: (id = u.t_id)\n");
    expect(f, "insert into t (id, b) select id, n from u",
        "Insert on t\n"
        "  ->  Seq Scan on u\n");
    expect(f, "select * from t where id = 1 for update",
        "LockRows\n"
        "  ->  Index Scan using t_pkey on t\n"
        "        Index Cond: (id = 1)\n");
    expect(f, "select id from t union select n from u order by 1",
        "Sort\n"
        "  Sort Key: t.id\n"
        "  ->  HashSetOp Union\n"
        "        ->  Seq Scan on t\n"
        "        ->  Seq Scan on u\n");
}

static void
test_refusals(struct fixture *f)
{
    refuse(f, "select nothing from t", "42703");
    refuse(f, "select * from nothing", "42P01");
    refuse(f, "select t.id from t x", "42P01");
    refuse(f, "select id from t, u", "42702");
    refuse(f, "select id + c from t", "42883");
    refuse(f, "select nothing(id) from t", "42883");
    refuse(f, "select id, count(*) from t", "42803");
    refuse(f, "select id from t where count(*) > 1", "42803");
    refuse(f, "select 1 from t where id", "42804");
    refuse(f, "select 'x'::integer", "22P02");
    refuse(f, "select id from t union select c from t", "42804");
    refuse(f, "insert into t (id, id) values (1, 1)", "42701");
    refuse(f, "insert into t (id) values (1, 2)", "42601");
    refuse(f, "insert into t (b) values ('x')", "22P02");
    refuse(f, "insert into t (b) values (true)", "42804");
    refuse(f, "select * from t order by 9", "42P10");
    refuse(f, "select (select id, b from t)", "42601");
    refuse(f, "select $2", "42P18");
}

/* The body of an SQL function says its parameters by name. */
static void
test_named_parameters(struct fixture *f)
{
    static const char *const names[] = {"amount", "id"};
    refuse(f, "select id from t where b = amount", "42703");
    f->param_names = names;
    expect(f, "select b from t where id = amount",
        "Index Scan using t_pkey on t\n"
        "  Index Cond: (id = $1)\n");
    expect(f, "update t set b = b + f.amount where id = f.id",
        "Update on t\n"
        "  ->  Index Scan using t_pkey on t\n"
        "        Index Cond: (id = $2)\n");
    refuse(f, "select b from t where id = g.amount", "42P01");
    refuse(f, "select f.nothing from t", "42P01");
    f->param_names = NULL;
}

static void
run(struct task *task, void *arg)
{
    struct fixture f = {.task = task, .db = test_open(task, arg), .env = {.time_zone = "UTC"}};
    arena_create(&f.arena, "test");
    struct diag diag;
    OK(catalog_open(task, f.db, "tester", &f.store, &diag));
    f.txn = txn_new(f.db, 1);
    run_ddl(&f, "create table t (id int primary key, b int, c text)");
    run_ddl(&f, "create index t_b on t (b)");
    run_ddl(&f, "create table u (id int primary key, t_id int, n int)");
    run_ddl(&f, "create index u_t_id on u (t_id)");
    run_ddl(&f, "create table big (k bigint primary key, v text)");
    test_access(&f);
    test_order(&f);
    test_joins(&f);
    test_changes(&f);
    test_refusals(&f);
    test_named_parameters(&f);
    ASSERT(failures == 0);
    txn_delete(task, f.txn);
    catalog_close(f.store);
    txn_db_close(task, f.db);
    arena_destroy(&f.arena);
    world_stop(task_world(task));
}

int
main(void)
{
    test_run_os(run, 1, NULL);
    return 0;
}
