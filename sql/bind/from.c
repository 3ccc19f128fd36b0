/*
 * sql/bind/from.c - FROM: tables, views, subqueries, functions, joins.
 *
 * A subquery in FROM that only selects, joins and filters is pulled up: its relations become
 * relations of the query around it, and its columns the expressions it computed. So a view costs
 * nothing, and conditions reach the indexes below it.
 */
#include "sql/bind/bind.h"
#include "sql/catalog/access.h"

#include "parser/parser.h"

enum {
    RELS_MAX = 64,          /* of one query level: sets of relations are 64 bits */
    RELS_TOTAL_MAX = 20000, /* WITH and views name each other: keep a bomb small */
    VIEW_DEPTH_MAX = 64,
};

static enum err bind_from_node(struct binder *binder, struct scope *scope,
    const struct ast_node *node, bool nullable, struct from_item **item, struct join_tree **tree);

/* ---- relations ------------------------------------------------------------------------------- */

static enum err
rel_add(struct binder *binder, struct query *query, struct rel *rel)
{
    if (query->rels.count >= RELS_MAX) {
        return bind_error(
            binder, -1, ERR_PROGRAM_LIMIT, "a query level may join at most %d relations", RELS_MAX);
    }
    if (++binder->rel_total > RELS_TOTAL_MAX) {
        return bind_error(
            binder, -1, ERR_STATEMENT_TOO_COMPLEX, "statement refers to too many relations");
    }
    vec_add(binder->arena, &query->rels, rel);
    return ERR_OK;
}

static struct join_tree *
tree_of(struct binder *binder, struct rel *rel)
{
    struct join_tree *tree = arena_alloc(binder->arena, sizeof *tree);
    tree->kind = TREE_REL;
    tree->rel = rel;
    return tree;
}

enum err
bind_table_rel(struct binder *binder, struct query *query, const struct relation *relation,
    const char *alias, struct rel **rel)
{
    struct rel *made = arena_alloc(binder->arena, sizeof *made);
    bool remote = binder->context->remote && relation->kind == RELATION_TABLE;
    made->kind = remote || relation->kind == RELATION_VIRTUAL ? REL_VIRTUAL : REL_TABLE;
    made->alias = alias != NULL ? alias : relation->name;
    made->relation = relation;
    made->column_count = relation->column_count;
    made->reg_count = relation->column_count;
    made->base = bind_registers(binder, made->reg_count);
    made->used = arena_alloc(binder->arena, made->column_count);
    TRY(rel_add(binder, query, made));
    *rel = made;
    return ERR_OK;
}

enum err
bind_lookup_relation(
    struct binder *binder, const struct ast_table *table, const struct relation **relation)
{
    int32_t location = table->node.location;
    const struct catalog *catalog = binder->context->catalog;
    const struct eval_env *env = binder->context->env;
    enum err err = catalog_check_database(env, table, binder->diag);
    if (err != ERR_OK) {
        bind_locate(binder, location);
        return err;
    }
    *relation = catalog == NULL
                    ? NULL
                    : catalog_relation_on(catalog, env == NULL ? NULL : env->search_path,
                          table->schema, table->name);
    if (*relation != NULL && relation_is_temporary(*relation) && env != NULL) {
        const char *own = catalog_temporary_schema(env->search_path);
        if (own == NULL || strcmp(own, (*relation)->schema_name) != 0) {
            return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
                "cannot access temporary tables of other sessions");
        }
    }
    if (*relation != NULL) {
        return ERR_OK;
    }
    if (table->schema != NULL) {
        return bind_error(binder, location, ERR_UNDEFINED_TABLE,
            "relation \"%s.%s\" does not exist", table->schema, table->name);
    }
    return bind_error(
        binder, location, ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", table->name);
}

void
bind_lock(struct binder *binder, const struct relation *relation, enum txn_table_lock mode)
{
    for (uint32_t i = 0; i < binder->lock_count; i++) {
        if (binder->locks[i].relation == relation->oid) {
            if (binder->locks[i].mode < mode) {
                binder->locks[i].mode = mode;
            }
            return;
        }
    }
    if (binder->lock_count == binder->lock_capacity) {
        uint32_t wanted = binder->lock_capacity == 0 ? 4 : binder->lock_capacity * 2;
        struct plan_table_lock *bigger = arena_alloc_raw(binder->arena, wanted * sizeof *bigger);
        if (binder->lock_count > 0) {
            memcpy(bigger, binder->locks, binder->lock_count * sizeof *bigger);
        }
        binder->locks = bigger;
        binder->lock_capacity = wanted;
    }
    binder->locks[binder->lock_count++] =
        (struct plan_table_lock){.relation = relation->oid, .name = relation->name, .mode = mode};
}

/* ---- items and their column aliases ------------------------------------------------------------
 */

static enum err
item_alias_columns(
    struct binder *binder, struct from_item *item, const struct ast_list *columns, int32_t location)
{
    uint32_t count = ast_list_count(columns);
    if (count == 0) {
        return ERR_OK;
    }
    const char **names = arena_alloc(binder->arena, (item->column_count + 1) * sizeof *names);
    uint32_t next = 0;
    for (uint32_t c = 0; c < item->column_count; c++) {
        const char *own = item->names != NULL ? item->names[c] : item->relation->columns[c].name;
        bool dropped = item->exprs == NULL && item->relation->columns[c].dropped;
        names[c] = !dropped && next < count ? ast_as_name(ast_list_at(columns, next))->text : own;
        next += !dropped;
    }
    if (count > next) {
        return bind_error(binder, location, ERR_INVALID_COLUMN_REFERENCE,
            "table \"%s\" has %u columns available but %u columns specified",
            item->alias == NULL ? "unnamed" : item->alias, next, count);
    }
    item->names = names;
    return ERR_OK;
}

static bool
item_conflicts(const struct from_item *a, const struct from_item *b)
{
    if (a->alias == NULL || b->alias == NULL || strcmp(a->alias, b->alias) != 0) {
        return false;
    }
    /* s1.t and s2.t do not conflict. */
    return a->schema == NULL || b->schema == NULL || a->relation == b->relation;
}

static const char *
items_conflict(const struct from_item *have, const struct from_item *item)
{
    if (item->join && item->alias == NULL) {
        const char *left = items_conflict(have, item->left);
        return left != NULL ? left : items_conflict(have, item->right);
    }
    if (have->join && have->alias == NULL) {
        const char *left = items_conflict(have->left, item);
        return left != NULL ? left : items_conflict(have->right, item);
    }
    return item_conflicts(have, item) ? item->alias : NULL;
}

static enum err
check_conflict(struct binder *binder, const struct from_item *have, const struct from_item *item,
    int32_t location)
{
    const char *twice = items_conflict(have, item);
    if (twice != NULL) {
        return bind_error(binder, location, ERR_DUPLICATE_ALIAS,
            "table name \"%s\" specified more than once", twice);
    }
    return ERR_OK;
}

enum err
scope_add_item(struct binder *binder, struct scope *scope, struct from_item *item, int32_t location)
{
    for (uint32_t i = 0; i < scope->items.count; i++) {
        TRY(check_conflict(binder, scope->items.items[i], item, location));
    }
    vec_add(binder->arena, &scope->items, item);
    return ERR_OK;
}

/* ---- subqueries ------------------------------------------------------------------------------ */

static bool
query_pulls_up(const struct query *parent, const struct query *query, bool nullable)
{
    if (query->kind != QUERY_SELECT || query->from == NULL || query->group_count > 0 ||
        query->has_aggregates || query->has_windows || query->having != NULL || query->distinct ||
        query->distinct_on_count > 0 || query->order_count > 0 || query->limit != NULL ||
        query->offset != NULL || query->lock_count > 0 || query->set_function != NULL ||
        parent->rels.count + query->rels.count > RELS_MAX || (nullable && query->correlated)) {
        return false;
    }
    for (uint32_t i = 0; i < query->column_count; i++) {
        const struct expr *expr = query->targets[i].expr;
        if (expr->type == TYPE_UNKNOWN || expr_volatile(expr) || expr_has_subplan(expr)) {
            return false;
        }
        /* Below an outer join a computed column would have to become null as a whole. */
        if (nullable && (expr->kind != EXPR_REGISTER || query_rel(query, expr->reg) == NULL)) {
            return false;
        }
    }
    return true;
}

static void
item_for_query(struct binder *binder, struct query *query, bool shared, struct from_item *item)
{
    const char **names = arena_alloc(binder->arena, (query->column_count + 1) * sizeof *names);
    struct expr **exprs = arena_alloc(binder->arena, (query->column_count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < query->column_count; i++) {
        const struct target *target = &query->targets[i];
        names[i] = target->name;
        exprs[i] = shared ? target->expr
                          : expr_register(
                                binder, target->reg, target->expr->type, target->expr->typmod, -1);
        exprs[i]->domain = target->expr->domain;
    }
    item->column_count = query->column_count;
    item->names = names;
    item->exprs = exprs;
}

static enum err
place_query(struct binder *binder, struct scope *scope, struct query *query, bool nullable,
    const char *alias, const struct ast_list *columns, int32_t location, struct from_item **item,
    struct join_tree **tree)
{
    struct from_item *made = arena_alloc(binder->arena, sizeof *made);
    made->alias = alias;
    bool pull = query_pulls_up(scope->query, query, nullable);
    item_for_query(binder, query, pull, made);
    TRY(item_alias_columns(binder, made, columns, location));
    if (pull) {
        for (uint32_t i = 0; i < query->rels.count; i++) {
            vec_add(binder->arena, &scope->query->rels, query->rels.items[i]);
        }
        *tree = query->from;
    } else {
        struct rel *rel = arena_alloc(binder->arena, sizeof *rel);
        rel->kind = REL_QUERY;
        rel->alias = alias != NULL ? alias : "subquery";
        rel->query = query;
        rel->base = query->first_reg;
        rel->reg_count = query->end_reg - query->first_reg;
        TRY(rel_add(binder, scope->query, rel));
        made->rel = rel;
        *tree = tree_of(binder, rel);
    }
    *item = made;
    return ERR_OK;
}

/* What a subquery in FROM without LATERAL sees: the queries around its own, and WITH's names. */
struct scope *
scope_without_items(struct binder *binder, const struct scope *scope)
{
    struct scope *outer = arena_alloc(binder->arena, sizeof *outer);
    outer->parent = scope->parent;
    outer->query = scope->query;
    outer->ctes = scope->ctes;
    outer->hidden = scope->items;
    return outer;
}

static enum err
bind_range_subquery(struct binder *binder, struct scope *scope,
    const struct ast_range_subquery *range, bool nullable, struct from_item **item,
    struct join_tree **tree)
{
    struct scope *parent = range->lateral ? scope : scope_without_items(binder, scope);
    struct query *query;
    TRY(bind_select(binder, parent, range->query, &query));
    return place_query(binder, scope, query, nullable, range->alias, range->columns,
        range->node.location, item, tree);
}

static enum err
bind_view(struct binder *binder, struct scope *scope, const struct ast_table *table,
    const struct relation *view, bool nullable, struct from_item **item, struct join_tree **tree)
{
    if (view->view_text == NULL) {
        return bind_unsupported(binder, table->node.location, "this kind of relation is");
    }
    if (binder->view_depth >= VIEW_DEPTH_MAX) {
        return bind_error(
            binder, table->node.location, ERR_STATEMENT_TOO_COMPLEX, "views nest too deeply");
    }
    struct ast_list *statements;
    TRY(parser_parse(
        binder->arena, view->view_text, strlen(view->view_text), &statements, binder->diag));
    if (ast_list_count(statements) != 1) {
        return bind_error(binder, -1, ERR_CORRUPT, "view \"%s\" is not one query", view->name);
    }
    const struct ast_node *body = ast_as_statement(ast_list_at(statements, 0))->body;
    if (body->kind != AST_SELECT) {
        return bind_error(binder, -1, ERR_CORRUPT, "view \"%s\" is not a query", view->name);
    }
    const char *text = binder->text;
    struct bind_notes *notes = binder->notes;
    binder->text = NULL;
    binder->notes = NULL;
    oid_t role = binder->role;
    binder->role = view->owner;
    binder->view_depth++;
    struct query *query;
    enum err err = bind_select(binder, NULL, ast_as_select(body), &query);
    binder->view_depth--;
    binder->role = role;
    binder->text = text;
    binder->notes = notes;
    TRY(err);
    if (query->column_count == view->column_count) {
        for (uint32_t i = 0; i < query->column_count; i++) {
            query->targets[i].name = view->columns[i].name;
        }
    }
    TRY(place_query(binder, scope, query, nullable,
        table->alias != NULL ? table->alias : view->name, table->columns, table->node.location,
        item, tree));
    (*item)->view = view;
    if (table->alias == NULL) {
        (*item)->schema = view->schema_name;
    }
    return ERR_OK;
}

static enum err
bind_cte_reference(struct binder *binder, struct scope *scope, struct scope *found, struct cte *cte,
    const struct ast_table *table, bool nullable, struct from_item **item, struct join_tree **tree)
{
    struct query *query = NULL;
    struct rel *rel = NULL;
    const char *alias = table->alias != NULL ? table->alias : cte->name;
    TRY(bind_cte(binder, scope, found, cte, table, &query, &rel));
    if (rel == NULL) {
        return place_query(binder, scope, query, nullable, alias, table->columns,
            table->node.location, item, tree);
    }
    if (rel->work && nullable) {
        return bind_error(binder, table->node.location, ERR_INVALID_RECURSION,
            "recursive reference to query \"%s\" must not appear within an outer join", cte->name);
    }
    rel->alias = alias;
    TRY(rel_add(binder, scope->query, rel));
    const struct shared *shared = rel->shared;
    struct from_item *made = arena_alloc(binder->arena, sizeof *made);
    made->alias = alias;
    made->rel = rel;
    made->column_count = shared->column_count;
    const char **names = arena_alloc(binder->arena, (shared->column_count + 1) * sizeof *names);
    struct expr **exprs = arena_alloc(binder->arena, (shared->column_count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < shared->column_count; i++) {
        const struct target *column = &shared->columns[i];
        names[i] = column->name;
        exprs[i] =
            expr_register(binder, rel->base + i, column->expr->type, column->expr->typmod, -1);
        exprs[i]->domain = column->expr->domain;
    }
    made->names = names;
    made->exprs = exprs;
    *item = made;
    *tree = tree_of(binder, rel);
    return item_alias_columns(binder, made, table->columns, table->node.location);
}

/* ---- tables and functions ----------------------------------------------------------------------
 */

static enum err bind_range_function(struct binder *binder, struct scope *scope,
    const struct ast_range_function *range, struct from_item **item, struct join_tree **tree);

/* A sequence has one row, which a function knows. */
static enum err
bind_sequence(struct binder *binder, struct scope *scope, const struct ast_table *table,
    const struct relation *relation, struct from_item **item, struct join_tree **tree)
{
    struct ast_const *oid = arena_alloc(binder->arena, sizeof *oid);
    oid->node = (struct ast_node){.kind = AST_CONST, .location = table->node.location};
    oid->kind = AST_CONST_INTEGER;
    oid->integer = relation->oid;
    oid->text = arena_printf(binder->arena, "%u", relation->oid);
    oid->size = (uint32_t)strlen(oid->text);
    struct ast_call *call = arena_alloc(binder->arena, sizeof *call);
    call->node = (struct ast_node){.kind = AST_CALL, .location = table->node.location};
    call->name = "tusk_sequence_row";
    struct ast_node *nodes[] = {&oid->node, &call->node};
    struct ast_list *lists[2];
    for (int i = 0; i < 2; i++) {
        lists[i] = arena_alloc(binder->arena, sizeof *lists[i]);
        lists[i]->items = arena_copy(binder->arena, &nodes[i], sizeof nodes[i]);
        lists[i]->count = lists[i]->capacity = 1;
    }
    call->args = lists[0];
    struct ast_range_function *range = arena_alloc(binder->arena, sizeof *range);
    range->node = (struct ast_node){.kind = AST_RANGE_FUNCTION, .location = table->node.location};
    range->calls = lists[1];
    range->alias = table->alias == NULL ? relation->name : table->alias;
    range->columns = table->columns;
    return bind_range_function(binder, scope, range, item, tree);
}

static enum err
bind_range_table(struct binder *binder, struct scope *scope, const struct ast_table *table,
    bool nullable, struct from_item **item, struct join_tree **tree)
{
    if (table->sample) {
        return bind_unsupported(binder, table->node.location, "TABLESAMPLE is");
    }
    if (table->schema == NULL) {
        for (struct scope *at = scope; at != NULL; at = at->parent) {
            for (struct cte *cte = at->ctes; cte != NULL; cte = cte->next) {
                if (strcmp(cte->name, table->name) == 0) {
                    return bind_cte_reference(binder, scope, at, cte, table, nullable, item, tree);
                }
            }
        }
    }
    const struct relation *relation;
    TRY(bind_lookup_relation(binder, table, &relation));
    if (binder->notes != NULL) {
        bind_note(binder,
            &(struct bind_note){
                .kind = NOTE_TABLE, .location = table->node.location, .relation = relation});
    }
    switch (relation->kind) {
    case RELATION_TABLE:
        bind_lock(binder, relation, TXN_ACCESS_SHARE);
        bind_need(binder, relation, PRIVILEGE_SELECT);
        break;
    case RELATION_VIRTUAL:
        bind_need(binder, relation, PRIVILEGE_SELECT);
        break;
    case RELATION_VIEW:
        bind_lock(binder, relation, TXN_ACCESS_SHARE);
        bind_need(binder, relation, PRIVILEGE_SELECT);
        return bind_view(binder, scope, table, relation, nullable, item, tree);
    case RELATION_INDEX:
        (void)bind_error(binder, table->node.location, ERR_WRONG_OBJECT_TYPE,
            "cannot open relation \"%s\"", relation->name);
        diag_detail(binder->diag, "This operation is not supported for indexes.");
        return ERR_WRONG_OBJECT_TYPE;
    case RELATION_SEQUENCE:
        bind_need(binder, relation, PRIVILEGE_SELECT);
        return bind_sequence(binder, scope, table, relation, item, tree);
    default:
        ASSERT(false);
    }
    struct rel *rel;
    TRY(bind_table_rel(binder, scope->query, relation, table->alias, &rel));
    *item = item_for_relation(binder, rel, relation, rel->base);
    if (table->alias == NULL) {
        (*item)->schema = relation->schema_name;
    }
    *tree = tree_of(binder, rel);
    return item_alias_columns(binder, *item, table->columns, table->node.location);
}

/* f(x) in FROM where f returns no set: the one row of SELECT f(x). */
static enum err
place_scalar(struct binder *binder, struct scope *scope, reg_t first_reg, struct expr *expr,
    const char *name, const char *alias, const struct ast_range_function *range,
    struct from_item **item, struct join_tree **tree)
{
    TRY(bind_to_text_if_unknown(binder, &expr));
    struct query *query = arena_alloc(binder->arena, sizeof *query);
    query->kind = QUERY_SELECT;
    query->first_reg = first_reg;
    query->targets = arena_alloc(binder->arena, sizeof *query->targets);
    query->target_count = query->column_count = 1;
    query->targets[0] =
        (struct target){.expr = expr, .name = name, .reg = bind_registers(binder, 1)};
    query->end_reg = binder->next_reg;
    return place_query(
        binder, scope, query, true, alias, range->columns, range->node.location, item, tree);
}

/* One function of FROM, bound. *set NULL: it returns no set, and *expr is its value. */
static enum err
bind_from_call(struct binder *binder, struct scope *scope, const struct ast_node *node,
    struct rel **set, struct expr **expr)
{
    enum clause clause = scope->clause;
    struct rel *before = scope->query->set_function;
    scope->clause = CLAUSE_FROM_FUNCTION;
    scope->query->set_function = NULL;
    enum err err = bind_expr(binder, scope, node, expr);
    *set = scope->query->set_function;
    scope->query->set_function = before;
    scope->clause = clause;
    TRY(err);
    if (*set != NULL && ((*expr)->kind != EXPR_REGISTER || (*expr)->reg != (*set)->base)) {
        return bind_error(binder, node->location, ERR_FEATURE_NOT_SUPPORTED,
            "set-returning functions must appear at top level of FROM");
    }
    return ERR_OK;
}

/* The calls of ROWS FROM into one relation; their columns get registers side by side (B1). */
static enum err
bind_range_calls(struct binder *binder, struct scope *scope, const struct ast_range_function *range,
    struct rel **result, struct expr **scalar)
{
    uint32_t count = ast_list_count(range->calls);
    struct rel *rel = NULL;
    *scalar = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_node *node = ast_list_at(range->calls, i);
        struct rel *set;
        struct expr *expr;
        TRY(bind_from_call(binder, scope, node, &set, &expr));
        if (set == NULL && (count > 1 || range->ordinality)) {
            return bind_unsupported(binder, node->location,
                "WITH ORDINALITY or ROWS FROM of a function that returns no set is");
        }
        if (set == NULL) {
            *scalar = expr;
            return ERR_OK;
        }
        if (rel == NULL) {
            struct plan_call first = set->calls[0]; /* the one that it has yet */
            rel = set;
            rel->calls = arena_alloc(binder->arena, count * sizeof *rel->calls);
            rel->calls[0] = first;
            continue;
        }
        struct expr **args = arena_alloc(
            binder->arena, (rel->arg_count + set->arg_count + 1) * sizeof(struct expr *));
        memcpy(args, rel->args, rel->arg_count * sizeof(struct expr *));
        memcpy(args + rel->arg_count, set->args, set->arg_count * sizeof(struct expr *));
        rel->calls[rel->call_count] = set->calls[0];
        rel->calls[rel->call_count++].first_arg = rel->arg_count;
        rel->args = args;
        rel->arg_count += set->arg_count;
    }
    uint32_t columns = range->ordinality ? 1 : 0;
    for (uint32_t i = 0; i < rel->call_count; i++) {
        columns += function_column_count(rel->calls[i].function);
    }
    rel->base = bind_registers(binder, columns);
    rel->reg_count = columns;
    reg_t next = rel->base;
    for (uint32_t i = 0; i < rel->call_count; i++) {
        rel->calls[i].result = next;
        next += function_column_count(rel->calls[i].function);
    }
    *result = rel;
    return ERR_OK;
}

/* unnest(a, b) is ROWS FROM (unnest(a), unnest(b)). */
static struct ast_range_function *
split_unnest(struct arena *arena, const struct ast_range_function *range)
{
    const struct ast_node *first = ast_list_at(range->calls, 0);
    const struct ast_call *call = first->kind == AST_CALL ? ast_as_call(first) : NULL;
    uint32_t count = call == NULL ? 0 : ast_list_count(call->args);
    if (count < 2 || ast_list_count(range->calls) > 1 || strcmp(call->name, "unnest") != 0) {
        return NULL;
    }
    struct ast_list *calls = arena_alloc(arena, sizeof *calls);
    calls->items = arena_alloc(arena, count * sizeof(struct ast_node *));
    for (uint32_t i = 0; i < count; i++) {
        struct ast_call *one = arena_copy(arena, call, sizeof *one);
        one->args = arena_alloc(arena, sizeof *one->args);
        one->args->items = &call->args->items[i];
        one->args->count = one->args->capacity = 1;
        calls->items[calls->count++] = &one->node;
    }
    calls->capacity = count;
    struct ast_range_function *split = arena_copy(arena, range, sizeof *split);
    split->calls = calls;
    return split;
}

/* The columns that the statement says a function has: f(..) AS x(a int, b text). */
static enum err
read_shape(struct binder *binder, const struct ast_list *defs, struct row_shape *shape)
{
    uint32_t count = ast_list_count(defs);
    struct row_field *fields = arena_alloc(binder->arena, count * sizeof *fields);
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_column_def *def = ast_as_column_def(ast_list_at(defs, i));
        oid_t declared;
        fields[i] = (struct row_field){.name = def->name};
        TRY(bind_type(binder, def->type, &declared, &fields[i].typmod));
        fields[i].domain = type_has_domain(declared) ? declared : 0;
        fields[i].type = catalog_base_type(binder->context->catalog, declared, &fields[i].typmod);
        for (uint32_t other = 0; other < i; other++) {
            if (strcmp(fields[other].name, def->name) == 0) {
                return bind_error(binder, -1, ERR_DUPLICATE_COLUMN,
                    "column name \"%s\" specified more than once", def->name);
            }
        }
    }
    *shape = (struct row_shape){.count = count, .fields = fields};
    return ERR_OK;
}

/* json_populate_record(NULL::t, x) and its kin are json_to_record(x) with the columns of the table
 * or view t. NULL: it is no call of that kind. */
static enum err
populated_shape(struct binder *binder, const struct ast_call *call, struct row_shape *shape,
    struct ast_call **inner)
{
    static const char *const names[] = {"json_populate_record", "jsonb_populate_record",
        "json_populate_recordset", "jsonb_populate_recordset"};
    bool is = false;
    *inner = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        is = is || strcmp(call->name, names[i]) == 0;
    }
    if (!is || ast_list_count(call->args) != 2) {
        return ERR_OK;
    }
    const struct ast_node *base = ast_list_at(call->args, 0);
    const struct ast_cast *cast = base->kind == AST_CAST ? ast_as_cast(base) : NULL;
    bool null = cast != NULL && cast->operand->kind == AST_CONST &&
                ast_as_const(cast->operand)->kind == AST_CONST_NULL;
    const struct relation *relation =
        null && cast->type->array_dimensions == 0
            ? catalog_relation_on(binder->context->catalog, binder->context->env->search_path,
                  cast->type->schema, cast->type->name)
            : NULL;
    if (relation == NULL) {
        return bind_unsupported(
            binder, base->location, "a row to populate that is not written as NULL::table is");
    }
    struct row_field *fields =
        arena_alloc(binder->arena, (relation->column_count + (size_t)1) * sizeof *fields);
    shape->count = 0;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        if (!column->dropped) {
            fields[shape->count++] = (struct row_field){.name = column->name,
                .type = column->type,
                .typmod = column->typmod,
                .domain = column->domain};
        }
    }
    shape->fields = fields;
    *inner = arena_copy(binder->arena, call, sizeof **inner);
    (*inner)->args = arena_alloc(binder->arena, sizeof *(*inner)->args);
    (*inner)->args->items = &call->args->items[1];
    (*inner)->args->count = (*inner)->args->capacity = 1;
    return ERR_OK;
}

/* A function whose rows are what the statement says: it is told so by one argument more. */
static enum err
shaped_call(struct binder *binder, struct scope *scope, const struct ast_range_function *range,
    const struct ast_call *call, const struct row_shape *shape, struct rel *rel)
{
    int32_t location = ast_list_count(range->column_defs) == 0
                           ? range->node.location
                           : ast_list_at(range->column_defs, 0)->location;
    uint32_t count = call == NULL ? 0 : ast_list_count(call->args);
    struct expr **args = arena_alloc(binder->arena, (count + 1) * sizeof *args);
    enum clause clause = scope->clause;
    scope->clause = CLAUSE_FROM_FUNCTION;
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_expr(binder, scope, ast_list_at(call->args, i), &args[i]));
    }
    scope->clause = clause;
    const struct function *function = NULL;
    if (call != NULL) {
        TRY(bind_function(binder, call->name, args, count, call->node.location, &function));
    }
    if (function == NULL || (function->flags & FUNCTION_SHAPED) == 0) {
        return bind_error(binder, location, ERR_SYNTAX,
            function != NULL && function->result == TYPE_RECORD
                ? "a column definition list is redundant for a function with OUT parameters"
                : "a column definition list is only allowed for functions returning \"record\"");
    }
    for (uint32_t i = 0; i < count; i++) {
        bool done;
        TRY(bind_coerce(binder, &args[i], function->args[i], -1, CAST_IMPLICIT, &done));
    }
    const char **names = arena_alloc(binder->arena, shape->count * sizeof *names);
    oid_t *types = arena_alloc(binder->arena, shape->count * sizeof *types);
    for (uint32_t i = 0; i < shape->count; i++) {
        names[i] = shape->fields[i].name;
        types[i] = shape->fields[i].type;
    }
    struct function *own = arena_copy(binder->arena, function, sizeof *own);
    struct set_function *set = arena_copy(binder->arena, function->set, sizeof *set);
    set->column_count = shape->count;
    set->column_names = names;
    set->column_types = types;
    own->set = set;
    const struct row_shape *kept = arena_copy(binder->arena, shape, sizeof *shape);
    args[count] = expr_const(binder, TYPE_INT8, datum_int((int64_t)(intptr_t)kept), -1);
    rel->calls = arena_alloc(binder->arena, sizeof *rel->calls);
    rel->calls[0] = (struct plan_call){.function = own, .arg_count = count + 1};
    rel->call_count = 1;
    rel->args = args;
    rel->arg_count = count + 1;
    return ERR_OK;
}

/* shape: with no columns if they are those of the definition list. */
static enum err
bind_shaped(struct binder *binder, struct scope *scope, const struct ast_range_function *range,
    const struct ast_call *call, struct row_shape shape, struct from_item **item,
    struct join_tree **tree)
{
    struct rel *rel = arena_alloc(binder->arena, sizeof *rel);
    if (call == NULL || ast_list_count(range->calls) != 1 || range->ordinality) {
        return bind_unsupported(binder, range->node.location,
            "a column definition list of several functions or WITH ORDINALITY is");
    }
    if (shape.fields == NULL) {
        TRY(read_shape(binder, range->column_defs, &shape));
    }
    rel->kind = REL_FUNCTION;
    rel->alias = range->alias != NULL ? range->alias : call->name;
    TRY(shaped_call(binder, scope, range, call, &shape, rel));
    rel->base = bind_registers(binder, shape.count);
    rel->reg_count = shape.count;
    rel->calls[0].result = rel->base;
    TRY(rel_add(binder, scope->query, rel));
    struct from_item *made = arena_alloc(binder->arena, sizeof *made);
    made->alias = rel->alias;
    made->rel = rel;
    made->column_count = shape.count;
    made->names = rel->calls[0].function->set->column_names;
    struct expr **exprs = arena_alloc(binder->arena, shape.count * sizeof *exprs);
    for (uint32_t i = 0; i < shape.count; i++) {
        exprs[i] =
            expr_register(binder, rel->base + i, shape.fields[i].type, shape.fields[i].typmod, -1);
        exprs[i]->domain = shape.fields[i].domain;
    }
    made->exprs = exprs;
    *item = made;
    *tree = tree_of(binder, rel);
    return ERR_OK;
}

static enum err
bind_range_function(struct binder *binder, struct scope *scope,
    const struct ast_range_function *range, struct from_item **item, struct join_tree **tree)
{
    int32_t location = range->node.location;
    const struct ast_node *only = ast_list_at(range->calls, 0);
    const struct ast_call *call = only->kind == AST_CALL ? ast_as_call(only) : NULL;
    bool of_user = call != NULL && ast_list_count(range->calls) == 1 &&
                   bind_is_user_function(binder, call->schema, call->name);
    if (ast_list_count(range->column_defs) > 0 && !of_user) {
        return bind_shaped(binder, scope, range, call, (struct row_shape){0}, item, tree);
    }
    if (call != NULL && !of_user) {
        struct row_shape shape = {0};
        struct ast_call *inner;
        TRY(populated_shape(binder, call, &shape, &inner));
        if (inner != NULL) {
            TRY(bind_shaped(binder, scope, range, inner, shape, item, tree));
            return item_alias_columns(binder, *item, range->columns, location);
        }
    }
    if (of_user && !range->ordinality) {
        struct query *query;
        const char *as = range->alias != NULL ? range->alias : call->name;
        TRY(bind_user_table(binder, scope, call, &query));
        if (query != NULL && query->column_count == 1) {
            query->targets[0].name = as;
        }
        if (query != NULL) {
            return place_query(
                binder, scope, query, true, as, range->columns, location, item, tree);
        }
    }
    const struct ast_range_function *split = split_unnest(binder->arena, range);
    range = split != NULL ? split : range;
    const char *name = bind_column_name(ast_list_at(range->calls, 0));
    const char *alias = range->alias != NULL ? range->alias : name;
    reg_t first_reg = binder->next_reg;
    struct rel *rel = NULL;
    struct expr *scalar;
    binder->column_defs = range->column_defs;
    binder->result_name = NULL;
    enum err err = bind_range_calls(binder, scope, range, &rel, &scalar);
    binder->column_defs = NULL;
    TRY(err);
    if (scalar != NULL) {
        const char *column = of_user && binder->result_name != NULL ? binder->result_name : alias;
        return place_scalar(binder, scope, first_reg, scalar, column, alias, range, item, tree);
    }
    rel->alias = alias;
    rel->ordinality = range->ordinality;
    TRY(rel_add(binder, scope->query, rel));
    struct from_item *made = arena_alloc(binder->arena, sizeof *made);
    made->alias = alias;
    made->rel = rel;
    made->column_count = rel->reg_count;
    const char **names = arena_alloc(binder->arena, rel->reg_count * sizeof *names);
    struct expr **exprs = arena_alloc(binder->arena, rel->reg_count * sizeof *exprs);
    uint32_t at = 0;
    for (uint32_t i = 0; i < rel->call_count; i++) {
        const struct function *function = rel->calls[i].function;
        for (uint32_t c = 0; c < function_column_count(function); c++, at++) {
            /* A function of one column alone is named by the alias. */
            bool lone = rel->call_count == 1 && range->alias != NULL;
            names[at] = function->set->column_count > 0 ? function->set->column_names[c]
                        : lone                          ? alias
                                                        : function->name;
            exprs[at] =
                expr_register(binder, rel->base + at, function_column_type(function, c), -1, -1);
        }
    }
    if (range->ordinality) {
        names[at] = "ordinality";
        exprs[at] = expr_register(binder, rel->base + at, TYPE_INT8, -1, -1);
    }
    made->names = names;
    made->exprs = exprs;
    *item = made;
    *tree = tree_of(binder, rel);
    return item_alias_columns(binder, made, range->columns, location);
}

/* ---- joins ----------------------------------------------------------------------------------- */

static enum err
using_column(struct binder *binder, struct from_item *item, const char *name, const char *side,
    int32_t location, struct expr **expr)
{
    uint32_t found = item_find(binder, item, name, -1, expr);
    if (found == 0) {
        return bind_error(binder, location, ERR_UNDEFINED_COLUMN,
            "column \"%s\" specified in USING clause does not exist in %s table", name, side);
    }
    if (found > 1) {
        return bind_error(binder, location, ERR_AMBIGUOUS_COLUMN,
            "common column name \"%s\" appears more than once in %s table", name, side);
    }
    return ERR_OK;
}

static enum err
merge_column(struct binder *binder, struct from_item *join, enum ast_join_kind kind,
    const char *name, int32_t location, struct expr_vec *conds)
{
    for (uint32_t i = 0; i < join->merged_count; i++) {
        if (strcmp(join->merged[i].name, name) == 0) {
            return bind_error(binder, location, ERR_DUPLICATE_COLUMN,
                "column name \"%s\" appears more than once in USING clause", name);
        }
    }
    struct expr *sides[2], *equal;
    TRY(using_column(binder, join->left, name, "left", location, &sides[0]));
    TRY(using_column(binder, join->right, name, "right", location, &sides[1]));
    TRY(bind_operator(binder, "=", sides[0], sides[1], location, &equal));
    expr_vec_add(binder->arena, conds, equal);
    oid_t type;
    TRY(bind_common_type(binder, sides, 2, "JOIN/USING", &type));
    TRY(bind_coerce_list(binder, sides, 2, type, "JOIN/USING"));
    struct expr *merged = kind == AST_JOIN_RIGHT ? sides[1] : sides[0];
    if (kind == AST_JOIN_FULL) {
        struct expr **list = arena_alloc(binder->arena, 2 * sizeof *list);
        list[0] = sides[0];
        list[1] = sides[1];
        merged = expr_list(binder, EXPR_COALESCE, type, -1, list, 2);
    }
    join->merged[join->merged_count++] = (struct merged_column){.name = name, .expr = merged};
    return ERR_OK;
}

static enum err
bind_join_columns(struct binder *binder, struct from_item *item, const struct ast_join *join,
    struct expr_vec *conds)
{
    int32_t location = join->node.location;
    if (!join->natural) {
        item->merged =
            arena_alloc(binder->arena, ast_list_count(join->using_columns) * sizeof *item->merged);
        for (uint32_t i = 0; i < ast_list_count(join->using_columns); i++) {
            const struct ast_name *name = ast_as_name(ast_list_at(join->using_columns, i));
            TRY(merge_column(binder, item, join->kind, name->text, name->node.location, conds));
        }
        return ERR_OK;
    }
    struct expr_vec left = {0}, right = {0};
    struct vec left_names = {0}, right_names = {0};
    item_columns(binder, item->left, &left, &left_names);
    item_columns(binder, item->right, &right, &right_names);
    item->merged = arena_alloc(binder->arena, (left.count + 1) * sizeof *item->merged);
    for (uint32_t l = 0; l < left.count; l++) {
        for (uint32_t r = 0; r < right.count; r++) {
            if (strcmp(left_names.items[l], right_names.items[r]) == 0) {
                TRY(merge_column(binder, item, join->kind, left_names.items[l], location, conds));
                break;
            }
        }
    }
    return ERR_OK;
}

static enum err
bind_join_condition(struct binder *binder, struct scope *scope, struct from_item *item,
    const struct ast_node *condition, struct expr_vec *conds)
{
    struct vec items = scope->items, hidden = scope->hidden;
    scope->hidden = items;
    scope->items = (struct vec){0};
    vec_add(binder->arena, &scope->items, item);
    enum clause clause = scope->clause;
    scope->clause = CLAUSE_ON;
    struct expr *expr = NULL;
    enum err err = bind_condition(binder, scope, condition, "JOIN/ON", &expr);
    scope->clause = clause;
    scope->items = items;
    scope->hidden = hidden;
    TRY(err);
    expr_conjuncts(binder->arena, expr, conds);
    return ERR_OK;
}

/* (a JOIN b ..) AS alias (..): the join's columns under one name, its tables hidden. */
static enum err
item_rename_join(struct binder *binder, struct from_item *item, const struct ast_join *join)
{
    struct expr_vec exprs = {0};
    struct vec names = {0};
    item_columns(binder, item, &exprs, &names);
    item->join = false;
    item->alias = join->alias;
    item->column_count = exprs.count;
    item->exprs = exprs.items;
    item->names = (const char *const *)(void *)names.items;
    if (exprs.count == 0) {
        item->exprs = arena_alloc(binder->arena, sizeof *item->exprs);
    }
    return item_alias_columns(binder, item, join->columns, join->node.location);
}

static enum err
bind_join(struct binder *binder, struct scope *scope, const struct ast_join *join, bool nullable,
    struct from_item **item, struct join_tree **tree)
{
    if (join->using_alias != NULL) {
        return bind_unsupported(binder, join->node.location, "an alias of USING is");
    }
    bool left_nullable = join->kind == AST_JOIN_RIGHT || join->kind == AST_JOIN_FULL;
    bool right_nullable = join->kind == AST_JOIN_LEFT || join->kind == AST_JOIN_FULL;
    struct from_item *made = arena_alloc(binder->arena, sizeof *made);
    made->join = true;
    struct join_tree *left, *right;
    TRY(bind_from_node(binder, scope, join->left, nullable || left_nullable, &made->left, &left));
    uint32_t visible = scope->items.count;
    vec_add(binder->arena, &scope->items, made->left);
    enum err err = bind_from_node(
        binder, scope, join->right, nullable || right_nullable, &made->right, &right);
    scope->items.count = visible;
    TRY(err);
    TRY(check_conflict(binder, made->left, made->right, join->node.location));

    struct join_tree *joined = arena_alloc(binder->arena, sizeof *joined);
    if (join->natural || ast_list_count(join->using_columns) > 0) {
        TRY(bind_join_columns(binder, made, join, &joined->conds));
    } else if (join->condition != NULL) {
        TRY(bind_join_condition(binder, scope, made, join->condition, &joined->conds));
    }
    switch (join->kind) {
    case AST_JOIN_CROSS:
    case AST_JOIN_INNER:
        joined->kind = TREE_LIST;
        vec_add(binder->arena, &joined->items, left);
        vec_add(binder->arena, &joined->items, right);
        break;
    case AST_JOIN_LEFT:
    case AST_JOIN_FULL:
    case AST_JOIN_RIGHT:
        joined->kind = TREE_JOIN;
        joined->join = join->kind == AST_JOIN_FULL ? JOIN_FULL : JOIN_LEFT;
        joined->left = join->kind == AST_JOIN_RIGHT ? right : left;
        joined->right = join->kind == AST_JOIN_RIGHT ? left : right;
        break;
    }
    if (join->alias != NULL) {
        TRY(item_rename_join(binder, made, join));
    }
    *item = made;
    *tree = joined;
    return ERR_OK;
}

/* ---- the clause ------------------------------------------------------------------------------ */

static enum err
bind_from_node(struct binder *binder, struct scope *scope, const struct ast_node *node,
    bool nullable, struct from_item **item, struct join_tree **tree)
{
    TRY(bind_check_stack(binder));
    binder->depth++;
    enum err err;
    switch (node->kind) {
    case AST_TABLE:
        err = bind_range_table(binder, scope, ast_as_table(node), nullable, item, tree);
        break;
    case AST_RANGE_SUBQUERY:
        err = bind_range_subquery(binder, scope, ast_as_range_subquery(node), nullable, item, tree);
        break;
    case AST_RANGE_FUNCTION:
        err = bind_range_function(binder, scope, ast_as_range_function(node), item, tree);
        break;
    case AST_JOIN:
        err = bind_join(binder, scope, ast_as_join(node), nullable, item, tree);
        break;
    default:
        err = bind_unsupported(binder, node->location, "this kind of FROM item is");
        break;
    }
    binder->depth--;
    return err;
}

enum err
bind_from(
    struct binder *binder, struct scope *scope, const struct ast_list *from, struct join_tree *list)
{
    list->kind = TREE_LIST;
    AST_FOREACH(at, from)
    {
        struct from_item *item;
        struct join_tree *tree;
        TRY(bind_from_node(binder, scope, *at, false, &item, &tree));
        TRY(scope_add_item(binder, scope, item, (*at)->location));
        vec_add(binder->arena, &list->items, tree);
    }
    return ERR_OK;
}
