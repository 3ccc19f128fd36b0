/*
 * router/remote.c - rows of several shards, for a query that the router's own engine runs.
 *
 * The engine plans the query over its empty tables and asks for the rows of each, once, when it
 * comes to them: SELECT the columns that are needed FROM the table WHERE whatever of the filter is
 * plain enough to be written down; what is not, the engine judges itself. All shards are read as of
 * one moment, the newest among their clocks when the statement begins, in a read-only transaction
 * each that lasts as long as the statement.
 *
 * Bounded by router_pull_size.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "router/router.h"
#include "shard/route.h"
#include "sql/bind/bind.h"
#include "sql/catalog/sharding.h"

/* ---- the moment --------------------------------------------------------------------------------
 */

static enum err
note_clock(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    (void)diag;
    uint64_t *moment = arg;
    char number[24] = "";
    if (count == 1 && values[0].size < sizeof number) {
        memcpy(number, values[0].data, values[0].size);
        uint64_t there = strtoull(number, NULL, 10);
        *moment = there > *moment ? there : *moment;
    }
    return ERR_OK;
}

static void
put_route(struct remote_cut *cut, uint64_t epoch, struct upstream *upstream)
{
    struct shard_route route = {.epoch = epoch, .hlc = cut->moment, .read_at = cut->moment};
    size_t start = wire_begin(&upstream->out, SHARD_ROUTE_MESSAGE);
    shard_route_encode(&route, &upstream->out);
    wire_end(&upstream->out, start);
}

static enum err
begin_cut(struct task *task, struct remote_cut *cut, struct diag *diag)
{
    struct router *router = cut->worker->router;
    const struct eval_env *env = sql_session_env(cut->session);
    uint64_t moment = 0;
    cut->node_count = router->node_count;
    for (uint32_t i = 0; i < cut->node_count; i++) {
        if (!router->nodes[i].dropped) {
            TRY(node_acquire(
                task, cut->worker, i, env->session_user, env->database, &cut->upstreams[i], diag));
        }
    }
    for (uint32_t i = 0; i < cut->node_count; i++) {
        if (cut->upstreams[i] != NULL) {
            upstream_put_query(cut->upstreams[i], "SELECT tusk_hlc()", 17);
            TRY(upstream_flush(task, cut->upstreams[i], diag));
        }
    }
    for (uint32_t i = 0; i < cut->node_count; i++) {
        TRY(cut->upstreams[i] == NULL
                ? ERR_OK
                : node_query(task, cut->upstreams[i], NULL, note_clock, &moment, diag));
    }
    cut->moment = moment;
    for (uint32_t i = 0; i < cut->node_count; i++) {
        static const char begin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        if (cut->upstreams[i] != NULL) {
            upstream_put_query(cut->upstreams[i], begin, sizeof begin - 1);
            TRY(upstream_flush(task, cut->upstreams[i], diag));
        }
    }
    for (uint32_t i = 0; i < cut->node_count; i++) {
        TRY(cut->upstreams[i] == NULL
                ? ERR_OK
                : node_query(task, cut->upstreams[i], NULL, NULL, NULL, diag));
    }
    return ERR_OK;
}

void
remote_end(struct task *task, struct remote_cut *cut)
{
    for (uint32_t i = 0; i < cut->node_count; i++) {
        struct upstream *upstream = cut->upstreams[i];
        if (upstream == NULL) {
            continue;
        }
        cut->upstreams[i] = NULL;
        struct diag ignored;
        if (!upstream->broken && upstream->status != 'I' &&
            node_query(task, upstream, "ROLLBACK", NULL, NULL, &ignored) != ERR_OK) {
            upstream->broken = true;
        }
        pool_release(task, upstream);
    }
    cut->moment = 0;
    cut->pulled = 0;
}

/* ---- the condition, as text --------------------------------------------------------------------
 */

static void
put_name(struct buffer *to, const char *name)
{
    buffer_add_u8(to, '"');
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '"') {
            buffer_add_u8(to, '"');
        }
        buffer_add_u8(to, (uint8_t)*at);
    }
    buffer_add_u8(to, '"');
}

/* Types whose text form comes back as the same value whatever is set. */
static bool
is_plain(oid_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8 || type == TYPE_TEXT ||
           type == TYPE_VARCHAR || type == TYPE_BOOL || type == TYPE_NUMERIC || type == TYPE_DATE ||
           type == TYPE_TIMESTAMP || type == TYPE_UUID;
}

static bool
put_operand(const struct exec_remote_scan *scan, const struct eval_env *env,
    const struct expr *expr, struct buffer *to)
{
    const struct relation *relation = scan->relation;
    if (!is_plain(expr->type)) {
        return false;
    }
    if (expr->kind == EXPR_REGISTER) {
        if (expr->reg < scan->base || expr->reg >= scan->base + relation->column_count) {
            return false;
        }
        put_name(to, relation->columns[expr->reg - scan->base].name);
        return true;
    }
    struct datum value;
    if (expr->kind == EXPR_CONST) {
        value = expr->constant;
    } else if (expr->kind == EXPR_PARAM && scan->params != NULL) {
        value = scan->params[expr->param];
    } else {
        return false;
    }
    const struct type *type = type_by_oid(expr->type);
    if (value.null) {
        buffer_printf(to, "NULL::%s", type->name);
        return true;
    }
    struct buffer text = {0};
    type_output(env, expr->type, value, &text);
    buffer_add_u8(to, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'') {
            buffer_add_u8(to, '\'');
        }
        buffer_add_u8(to, text.data[i]);
    }
    buffer_printf(to, "'::%s", type->name);
    buffer_destroy(&text);
    return true;
}

static bool
is_comparison(const char *name)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">="};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* False: not plain enough; `to` is as it was. */
static bool
put_condition(const struct exec_remote_scan *scan, const struct eval_env *env,
    const struct expr *expr, struct buffer *to)
{
    size_t before = to->size;
    bool fine = false;
    if (expr->kind == EXPR_CALL && expr->count == 2) {
        const struct operator_def *op = expr_operator(expr);
        fine = op != NULL && is_comparison(op->name) && put_operand(scan, env, expr->list[0], to);
        if (fine) {
            buffer_printf(to, " OPERATOR(pg_catalog.%s) ", op->name);
            fine = put_operand(scan, env, expr->list[1], to);
        }
    } else if (expr->kind == EXPR_IN) {
        fine = put_operand(scan, env, expr->list[0], to);
        buffer_add_text(to, " IN (");
        for (uint32_t i = 1; fine && i < expr->count; i++) {
            buffer_add_text(to, i == 1 ? "" : ", ");
            fine = put_operand(scan, env, expr->list[i], to);
        }
        buffer_add_u8(to, ')');
    } else if (expr->kind == EXPR_IS_NULL || expr->kind == EXPR_IS_NOT_NULL) {
        fine = put_operand(scan, env, expr->list[0], to);
        buffer_add_text(to, expr->kind == EXPR_IS_NULL ? " IS NULL" : " IS NOT NULL");
    }
    if (!fine) {
        to->size = before;
    }
    return fine;
}

static void
put_query(const struct exec_remote_scan *scan, const struct eval_env *env, struct buffer *to)
{
    const struct relation *relation = scan->relation;
    buffer_add_text(to, "SELECT ");
    for (uint32_t i = 0; i < scan->column_count; i++) {
        buffer_add_text(to, i == 0 ? "" : ", ");
        put_name(to, relation->columns[scan->columns[i]].name);
    }
    buffer_add_text(to, scan->column_count == 0 ? "1 FROM " : " FROM ");
    put_name(to, relation->schema_name);
    buffer_add_u8(to, '.');
    put_name(to, relation->name);
    const char *word = " WHERE ";
    for (uint32_t i = 0; i < scan->filter_count; i++) {
        size_t before = to->size;
        buffer_add_text(to, word);
        if (put_condition(scan, env, scan->filter[i], to)) {
            word = " AND ";
        } else {
            to->size = before;
        }
    }
}

/* ---- rows --------------------------------------------------------------------------------------
 */

struct pull {
    struct remote_cut *cut;
    const struct exec_remote_scan *scan;
    struct eval *eval;
    struct datum *values;
    enum err (*emit)(void *arg, const struct datum *values);
    void *emit_arg;
};

static enum err
take_row(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct pull *pull = arg;
    const struct exec_remote_scan *scan = pull->scan;
    if (count != (scan->column_count == 0 ? 1 : scan->column_count)) {
        return diag_set(diag, ERR_PROTOCOL, "a shard sent a row of another width");
    }
    struct arena_mark mark = arena_mark(pull->eval->arena);
    for (uint32_t i = 0; i < scan->column_count; i++) {
        const struct column *column = &scan->relation->columns[scan->columns[i]];
        struct datum *value = &pull->values[scan->columns[i]];
        pull->cut->pulled += values[i].size + sizeof *value;
        if (values[i].data == NULL) {
            *value = datum_null();
        } else {
            TRY(type_input(pull->eval, column->type, column->typmod, values[i], value));
        }
    }
    if (pull->cut->pulled > pull->cut->worker->router->limits.pull_size) {
        return refuse(REFUSED_PULL_SIZE, diag);
    }
    enum err err = pull->emit(pull->emit_arg, pull->values);
    arena_rewind(pull->eval->arena, mark);
    return err;
}

static bool
is_on(const struct relation *relation, uint32_t node)
{
    bool everywhere =
        relation->sharding != NULL && relation->sharding->scheme.kind != SHARD_REPLICATED;
    return everywhere || node == 0;
}

static enum err
scan_remote(struct task *task, void *arg, const struct exec_remote_scan *scan, struct eval *eval,
    enum err (*emit)(void *emit_arg, const struct datum *values), void *emit_arg)
{
    struct remote_cut *cut = arg;
    if (sql_session_status(cut->session) == 'T' &&
        strcmp(sql_session_setting(cut->session, "transaction_isolation"), "read committed") != 0) {
        return refuse(REFUSED_SPREAD_IN_BLOCK, eval->diag);
    }
    if (cut->moment == 0) {
        TRY(begin_cut(task, cut, eval->diag));
    }
    struct buffer text = {0};
    put_query(scan, eval->env, &text);
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < cut->node_count; i++) {
        if (cut->upstreams[i] != NULL && is_on(scan->relation, i)) {
            put_route(cut, catalog_route_epoch(eval->env->catalog), cut->upstreams[i]);
            upstream_put_query(cut->upstreams[i], text.data, text.size);
            err = upstream_flush(task, cut->upstreams[i], eval->diag);
        }
    }
    buffer_destroy(&text);
    struct pull pull = {.cut = cut,
        .scan = scan,
        .eval = eval,
        .values =
            arena_array(eval->arena, (size_t)scan->relation->column_count + 1, sizeof *pull.values),
        .emit = emit,
        .emit_arg = emit_arg};
    for (uint32_t c = 0; c < scan->relation->column_count; c++) {
        pull.values[c] = datum_null();
    }
    for (uint32_t i = 0; i < cut->node_count; i++) {
        bool asked = cut->upstreams[i] != NULL && is_on(scan->relation, i);
        if (asked && err == ERR_OK) {
            err = node_query(task, cut->upstreams[i], NULL, take_row, &pull, eval->diag);
        } else if (asked) {
            cut->upstreams[i]->broken = true; /* an answer may be on its way */
        }
    }
    if (err == ERR_WRONG_BUCKET || err == ERR_BUCKET_MOVING) { /* the next attempt knows more */
        struct diag ignored;
        (void)!(cluster_refresh(task, cut->worker->router, &ignored) == ERR_OK);
    }
    return err;
}

void
remote_start(struct remote_cut *cut, struct worker *worker, struct sql_session *session)
{
    cut->worker = worker;
    cut->session = session;
    cut->remote = (struct exec_remote){.arg = cut, .scan = scan_remote};
    sql_session_set_remote(session, &cut->remote);
}
