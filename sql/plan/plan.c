/*
 * sql/plan/plan.c - statements to plans.
 */
#include "base/assert.h"
#include "sql/plan/planner.h"

static void
start(
    struct planner *planner, struct binder *binder, struct task *task, struct plan_context *context)
{
    bind_start(binder, task, context);
    *planner = (struct planner){.binder = binder,
        .arena = context->arena,
        .task = task,
        .diag = context->diag,
        .context = context};
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static struct plan *
plan_new(struct planner *planner, enum plan_statement statement)
{
    struct plan *plan = arena_alloc(planner->arena, sizeof *plan);
    plan->statement = statement;
    plan->catalog_version = catalog_version(planner->context->catalog);
    return plan;
}

static void
result_columns(struct planner *planner, struct plan *plan, const struct target *targets,
    uint32_t count, reg_t base)
{
    struct plan_column *columns = arena_alloc(planner->arena, (count + 1) * sizeof *columns);
    for (uint32_t i = 0; i < count; i++) {
        const struct target *target = &targets[i];
        columns[i] = (struct plan_column){.name = target->name,
            .type = target->expr->type,
            .typmod = target->expr->typmod,
            .domain = target->expr->domain,
            .table = target->table,
            .attnum = target->attnum};
    }
    plan->returns_rows = true;
    plan->result_base = base;
    plan->column_count = count;
    plan->columns = columns;
}

struct planned_modify {
    const struct modify *modify;
    struct plan_node *node;
};

/* Now it is known which columns of the targets are read. */
static void
plan_targets(struct planner *planner)
{
    for (uint32_t i = 0; i < planner->modifies.count; i++) {
        const struct planned_modify *left = planner->modifies.items[i];
        left->node->modify.target = *left->modify->target->planned;
    }
}

static enum err
finish(struct planner *planner, struct plan *plan)
{
    struct binder *binder = planner->binder;
    TRY(bind_finish_params(binder));
    TRY(bind_check_access(binder));
    reg_t *wanted = arena_alloc(planner->arena, (plan->column_count + 1) * sizeof *wanted);
    for (uint32_t i = 0; i < plan->column_count; i++) {
        wanted[i] = plan->result_base + i;
    }
    struct plan_shared **modifying =
        arena_alloc(planner->arena, (binder->modifying.count + 1) * sizeof(struct plan_shared *));
    for (uint32_t i = 0; i < binder->modifying.count; i++) {
        struct shared *shared = binder->modifying.items[i];
        TRY(plan_shared_query(planner, shared));
        modifying[i] = shared->planned;
    }
    plan->modifying = modifying;
    plan->modifying_count = binder->modifying.count;
    plan_mark_live(planner, plan->root, wanted, plan->column_count);
    plan_mark_shared(planner, modifying, plan->modifying_count);
    plan_targets(planner);
    plan->register_count = binder->next_reg;
    plan->param_count = planner->context->param_count;
    plan->param_types = arena_copy(planner->arena, planner->context->param_types,
        plan->param_count * sizeof *plan->param_types);
    plan->locks = binder->locks;
    plan->lock_count = binder->lock_count;
    plan->writes = binder->writes;
    for (uint32_t i = 0; i < binder->lock_count && !planner->context->refreshes; i++) {
        const struct relation *relation =
            catalog_relation_by_oid(planner->context->catalog, binder->locks[i].relation);
        if (relation != NULL && relation_is_materialized(relation) && !relation->populated) {
            plan->unpopulated = relation->name;
        }
    }
    plan->fits = (const struct plan_check *const *)(void *)planner->checks.items;
    plan->fit_count = planner->checks.count;
    plan->pins = (const struct plan_pin *const *)(void *)binder->pins.items;
    plan->pin_count = binder->pins.count;
    return ERR_OK;
}

/* ---- SELECT ---------------------------------------------------------------------------------- */

static enum err
plan_select(struct planner *planner, const struct ast_select *select, struct plan **result)
{
    struct query *query;
    const struct routine_result *wanted = planner->context->result;
    TRY(bind_select(planner->binder, NULL, select, &query));
    if (wanted != NULL) {
        TRY(query_shape(planner->binder, &query, wanted));
    }
    struct plan *plan = plan_new(planner, STATEMENT_SELECT);
    struct path path;
    reg_t base;
    TRY(plan_query(planner, query, true, &base, &path));
    plan->root = path.node;
    result_columns(planner, plan, query->targets, query->column_count, base);
    TRY(finish(planner, plan));
    *result = plan;
    return ERR_OK;
}

/* ---- CALL -------------------------------------------------------------------------------------
 */

/* SELECT * FROM procedure(..): its row, if it has parameters that are OUT. */
static enum err
plan_call(struct planner *planner, const struct ast_call *call, struct plan **result)
{
    struct ast_node *calls[] = {arena_copy(planner->arena, call, sizeof *call)};
    struct ast_list call_list = {.items = calls, .count = 1, .capacity = 1};
    struct ast_range_function range = {
        .node = {.kind = AST_RANGE_FUNCTION, .location = call->node.location}, .calls = &call_list};
    struct ast_node *from[] = {&range.node};
    struct ast_list from_list = {.items = from, .count = 1, .capacity = 1};
    struct ast_column star = {.node = {.kind = AST_COLUMN, .location = -1}, .star = true};
    struct ast_target target = {.node = {.kind = AST_TARGET, .location = -1}, .value = &star.node};
    struct ast_node *targets[] = {&target.node};
    struct ast_list target_list = {.items = targets, .count = 1, .capacity = 1};
    const struct ast_select select = {
        .node = {.kind = AST_SELECT, .location = -1}, .targets = &target_list, .from = &from_list};
    if (!bind_is_user_function(planner->binder, call->schema, call->name)) {
        return bind_no_procedure(planner->binder, call);
    }
    planner->binder->called = ast_as_call(calls[0]);
    TRY(plan_select(planner, &select, result));
    (*result)->called = true;
    (*result)->returns_rows =
        (*result)->column_count != 1 || (*result)->columns[0].type != TYPE_VOID;
    return ERR_OK;
}

/* ---- INSERT, UPDATE, DELETE ---------------------------------------------------------------------
 */

static enum err
plan_modify_exprs(struct planner *planner, const struct modify *modify)
{
    for (uint32_t c = 0; modify->columns != NULL && c < modify->relation->column_count; c++) {
        if (modify->columns[c] != NULL) {
            TRY(plan_subplans(planner, modify->columns[c]));
        }
    }
    for (uint32_t i = 0; i < modify->check_count; i++) {
        TRY(plan_subplans(planner, modify->checks[i]));
    }
    for (uint32_t i = 0; i < modify->returning_count; i++) {
        TRY(plan_subplans(planner, modify->returning[i].expr));
    }
    for (uint32_t i = 0; i < modify->filter.count; i++) {
        TRY(plan_subplans(planner, modify->filter.items[i]));
    }
    return ERR_OK;
}

/* The rows to insert. */
static enum err
insert_source(struct planner *planner, const struct modify *modify, struct path *path)
{
    if (modify->source != NULL) {
        reg_t base;
        return plan_query(planner, modify->source, false, &base, path);
    }
    *path = (struct path){.rows = 1, .cost = 0.1};
    path->node = plan_node_new(planner, PLAN_RESULT, 1, 0.1, NULL);
    return ERR_OK;
}

/* The rows to update or delete: FROM and WHERE with the target among the relations. */
static enum err
target_source(struct planner *planner, const struct modify *modify, struct expr_vec *recheck,
    struct path *path)
{
    struct level level;
    level_start(&level, planner, modify->source);
    TRY(plan_from(&level, NULL, NULL, path));
    return level_recheck(&level, rel_bit(&level, modify->target), recheck);
}

static void
fill_modify(struct planner *planner, const struct modify *modify, const struct expr_vec *recheck,
    struct plan_node *node)
{
    node->modify.relation = modify->relation;
    node->modify.columns = modify->columns;
    node->modify.new_base = modify->new_base;
    node->modify.changed = modify->changed;
    node->modify.changed_count = modify->changed_count;
    node->modify.generated = modify->generated;
    node->modify.generated_count = modify->generated_count;
    node->modify.derived = modify->derived;
    node->modify.checks = modify->checks;
    node->modify.check_names = modify->check_names;
    node->modify.check_count = modify->check_count;
    node->modify.table_check_count = modify->table_check_count;
    node->modify.recheck = recheck->items;
    node->modify.recheck_count = recheck->count;
    node->modify.arbiters = modify->arbiters;
    node->modify.any_conflict = modify->any_conflict;
    node->modify.returning_count = modify->returning_count;
    node->modify.returning =
        arena_alloc(planner->arena, (modify->returning_count + 1) * sizeof *node->modify.returning);
    for (uint32_t i = 0; i < modify->returning_count; i++) {
        node->modify.returning[i] = (struct plan_target){
            .expr = modify->returning[i].expr, .reg = modify->returning[i].reg};
    }
}

/* DO UPDATE: the INSERT gives it the row to change, all columns of it. */
static enum err
plan_conflict_update(
    struct planner *planner, const struct modify *modify, struct plan_node **result)
{
    const struct relation *relation = modify->relation;
    struct plan_node *node = plan_node_new(planner, PLAN_UPDATE, 0, 0, NULL);
    struct expr_vec none = {0};
    TRY(plan_modify_exprs(planner, modify));
    fill_modify(planner, modify, &none, node);
    uint16_t *columns =
        arena_alloc(planner->arena, (relation->column_count + 1U) * sizeof *columns);
    uint32_t count = 0;
    for (uint16_t c = 0; c < relation->column_count; c++) {
        if (!relation->columns[c].dropped) {
            columns[count++] = c;
        }
    }
    node->modify.target = (struct plan_relation){.relation = relation,
        .alias = modify->target->alias,
        .base = modify->target->base,
        .columns = columns,
        .column_count = count,
        .identity = true,
        .key_reg = bind_registers(planner->binder, 1),
        .version_reg = bind_registers(planner->binder, 1)};
    node->filter = modify->filter.items;
    node->filter_count = modify->filter.count;
    *result = node;
    return ERR_OK;
}

enum err
plan_modify_node(struct planner *planner, struct modify *modify, struct plan_node **result)
{
    enum plan_kind kind = modify->statement == STATEMENT_INSERT   ? PLAN_INSERT
                          : modify->statement == STATEMENT_UPDATE ? PLAN_UPDATE
                                                                  : PLAN_DELETE;
    struct path path;
    struct expr_vec recheck = {0};
    TRY(kind == PLAN_INSERT ? insert_source(planner, modify, &path)
                            : target_source(planner, modify, &recheck, &path));
    TRY(plan_modify_exprs(planner, modify));
    struct plan_node *node =
        plan_node_new(planner, kind, path.rows, path.cost + path.rows, path.node);
    fill_modify(planner, modify, &recheck, node);
    if (modify->update != NULL) {
        TRY(plan_conflict_update(planner, modify->update, &node->children[1]));
    }
    if (kind != PLAN_INSERT) {
        ASSERT(modify->target->planned != NULL);
        node->modify.target = *modify->target->planned; /* the registers; its columns at the end */
        struct planned_modify *left = arena_alloc(planner->arena, sizeof *left);
        *left = (struct planned_modify){.modify = modify, .node = node};
        vec_add(planner->arena, &planner->modifies, left);
    }
    *result = node;
    return ERR_OK;
}

/* What RETURNING gives becomes what a routine declares. */
static enum err
shape_returning(struct binder *binder, struct modify *modify, const struct routine_result *wanted)
{
    if (modify->returning_count == 0) {
        return bind_shape_mismatch(binder, wanted,
            "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.");
    }
    if (modify->returning_count != wanted->count) {
        return bind_shape_mismatch(binder, wanted, "%s",
            wanted->declared != TYPE_RECORD ? "Final statement must return exactly one column."
            : modify->returning_count < wanted->count
                ? "Final statement returns too few columns."
                : "Final statement returns too many columns.");
    }
    for (uint32_t i = 0; i < wanted->count; i++) {
        bool done;
        struct target *target = &modify->returning[i];
        oid_t from = target->expr->type;
        TRY(bind_coerce(binder, &target->expr, wanted->types[i], -1, CAST_ASSIGNMENT, &done));
        if (!done) {
            return bind_shape_mismatch(
                binder, wanted, "Actual return type is %s.", bind_type_name(binder, from));
        }
    }
    return ERR_OK;
}

static enum err
plan_modify(struct planner *planner, struct modify *modify, struct plan **result)
{
    if (planner->context->result != NULL) {
        TRY(shape_returning(planner->binder, modify, planner->context->result));
    }
    struct plan *plan = plan_new(planner, modify->statement);
    TRY(plan_modify_node(planner, modify, &plan->root));
    if (modify->returning_count > 0) {
        result_columns(
            planner, plan, modify->returning, modify->returning_count, modify->returning[0].reg);
    }
    TRY(finish(planner, plan));
    *result = plan;
    return ERR_OK;
}

enum err
plan_make(struct task *task, struct plan_context *context, const struct ast_node *node,
    struct plan **plan)
{
    struct binder binder;
    struct planner planner;
    start(&planner, &binder, task, context);
    struct modify *modify = NULL;
    switch (node->kind) {
    case AST_SELECT:
        return plan_select(&planner, ast_as_select(node), plan);
    case AST_CALL_STATEMENT:
        return plan_call(&planner, ast_as_call_statement(node)->call, plan);
    case AST_INSERT:
        TRY(bind_insert(&binder, ast_as_insert(node), &modify));
        break;
    case AST_UPDATE:
        TRY(bind_update(&binder, ast_as_update(node), &modify));
        break;
    case AST_DELETE:
        TRY(bind_delete(&binder, ast_as_delete(node), &modify));
        break;
    default:
        return diag_set(
            context->diag, ERR_FEATURE_NOT_SUPPORTED, "this kind of statement cannot be planned");
    }
    return plan_modify(&planner, modify, plan);
}

/* ---- one expression ---------------------------------------------------------------------------
 */

enum err
plan_bind_condition(struct task *task, struct plan_context *context, const struct ast_node *node,
    const struct relation *relation, reg_t base, struct expr **expr)
{
    struct binder binder;
    struct planner planner;
    start(&planner, &binder, task, context);
    struct query none = {0};
    struct scope *scope = scope_new(&binder, NULL, &none);
    vec_add(context->arena, &scope->items, item_for_relation(&binder, NULL, relation, base));
    binder.next_reg = base + relation->column_count;
    scope->clause = CLAUSE_COPY;
    TRY(bind_condition(&binder, scope, node, "WHERE", expr));
    if (expr_has_subplan(*expr)) {
        return diag_set(context->diag, ERR_FEATURE_NOT_SUPPORTED,
            "cannot use subquery in COPY FROM WHERE condition");
    }
    return ERR_OK;
}

enum err
plan_bind_expression(struct task *task, struct plan_context *context, const char *text,
    const struct relation *relation, reg_t base, oid_t type, int32_t typmod, struct expr **expr)
{
    struct binder binder;
    struct planner planner;
    start(&planner, &binder, task, context);
    struct query none = {0};
    struct scope *scope = scope_new(&binder, NULL, &none);
    if (relation != NULL) {
        vec_add(context->arena, &scope->items, item_for_relation(&binder, NULL, relation, base));
        binder.next_reg = base + relation->column_count;
    }
    TRY(bind_text(&binder, scope, text, relation != NULL ? CLAUSE_CHECK : CLAUSE_DEFAULT, expr));
    TRY(bind_definition(&binder, expr, relation, type, typmod));
    if (expr_has_subplan(*expr)) {
        return diag_set(context->diag, ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery in %s",
            relation != NULL ? "check constraint" : "DEFAULT expression");
    }
    return ERR_OK;
}
