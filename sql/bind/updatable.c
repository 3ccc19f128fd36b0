/*
 * sql/bind/updatable.c - INSERT, UPDATE and DELETE through views.
 *
 * A view of columns of one table, filtered, is a way to name that table's columns: the statement is
 * bound as one on the table, and what it says of the view is looked up in the view's own query,
 * over whichever row is meant (the one read, the one written). Views on views are such layers one
 * upon the other.
 */
#include "parser/parser.h"
#include "sql/bind/bind.h"

struct view_layer {
    const struct relation *view;
    const struct ast_select *query;
    const struct ast_table *from; /* what it reads */
    struct view_layer *below;     /* NULL: that is the table */
};

enum {
    LAYERS_MAX = 32,
};

/* ---- what a view must be ----------------------------------------------------------------------
 */

/* In its query's shape, that is; what its targets are is seen when they are bound. NULL: it is. */
static const char *
shape_refused(const struct ast_select *query)
{
    if (query->distinct != AST_DISTINCT_NONE) {
        return "Views containing DISTINCT are not automatically updatable.";
    }
    if (ast_list_count(query->group) > 0) {
        return "Views containing GROUP BY are not automatically updatable.";
    }
    if (query->having != NULL) {
        return "Views containing HAVING are not automatically updatable.";
    }
    if (query->left != NULL) {
        return "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.";
    }
    if (ast_list_count(query->with.ctes) > 0) {
        return "Views containing WITH are not automatically updatable.";
    }
    if (query->limit != NULL || query->offset != NULL) {
        return "Views containing LIMIT or OFFSET are not automatically updatable.";
    }
    if (ast_list_count(query->from) != 1 || ast_list_at(query->from, 0)->kind != AST_TABLE) {
        return "Views that do not select from a single table or view are not automatically "
               "updatable.";
    }
    return NULL;
}

static enum err
refuse(struct binder *binder, const struct relation *view, const char *verb, const char *why)
{
    const char *doing = strcmp(verb, "insert into") == 0   ? "inserting into"
                        : strcmp(verb, "delete from") == 0 ? "deleting from"
                                                           : "updating";
    const char *event = strcmp(verb, "insert into") == 0   ? "INSERT"
                        : strcmp(verb, "delete from") == 0 ? "DELETE"
                                                           : "UPDATE";
    (void)bind_error(binder, -1, ERR_OBJECT_STATE, "cannot %s view \"%s\"", verb, view->name);
    diag_detail(binder->diag, "%s", why);
    diag_hint(binder->diag,
        "To enable %s the view, provide an INSTEAD OF %s trigger or an unconditional ON %s DO "
        "INSTEAD rule.",
        doing, event, event);
    return ERR_OBJECT_STATE;
}

static enum err
parse_view(struct binder *binder, const struct relation *view, const struct ast_select **query)
{
    struct ast_list *statements;
    TRY(parser_parse(
        binder->arena, view->view_text, strlen(view->view_text), &statements, binder->diag));
    const struct ast_node *body =
        ast_list_count(statements) == 1 ? ast_as_statement(ast_list_at(statements, 0))->body : NULL;
    if (body == NULL || body->kind != AST_SELECT) {
        return bind_error(binder, -1, ERR_CORRUPT, "view \"%s\" is not a query", view->name);
    }
    *query = ast_as_select(body);
    return ERR_OK;
}

/* The layer of a view and those below it, and the table at the bottom. *why: *refused is not of the
 * kind that can be changed through. */
static enum err
find_layers(struct binder *binder, const struct relation *view, uint32_t depth,
    struct view_layer **result, const struct relation **table, const struct relation **refused,
    const char **why)
{
    struct view_layer *layer = arena_alloc(binder->arena, sizeof *layer);
    *result = layer;
    *refused = view;
    layer->view = view;
    if (depth > LAYERS_MAX) {
        return bind_error(binder, -1, ERR_STATEMENT_TOO_COMPLEX, "views nest too deeply");
    }
    TRY(parse_view(binder, view, &layer->query));
    *why = shape_refused(layer->query);
    if (*why != NULL) {
        return ERR_OK;
    }
    layer->from = ast_as_table(ast_list_at(layer->query->from, 0));
    const struct relation *from;
    TRY(bind_lookup_relation(binder, layer->from, &from));
    if (from->kind == RELATION_VIEW) {
        return find_layers(binder, from, depth + 1, &layer->below, table, refused, why);
    }
    *table = from;
    if (from->kind != RELATION_TABLE || relation_is_materialized(from)) {
        *why = "Views that do not select from a single table or view are not automatically "
               "updatable.";
    }
    return ERR_OK;
}

/* ---- a view's columns over a row --------------------------------------------------------------
 */

/* What a layer's query sees. */
static enum err
layer_scope(struct binder *binder, const struct view_layer *layer, const struct relation *table,
    struct rel *rel, reg_t base, struct scope **result)
{
    struct query *none = arena_alloc(binder->arena, sizeof *none);
    struct scope *scope = scope_new(binder, NULL, none);
    struct from_item *item;
    if (layer->below != NULL) {
        TRY(bind_view_item(binder, layer->below, table, rel, base, &item));
    } else {
        item = item_for_relation(binder, rel, table, base);
    }
    item->alias = layer->from->alias != NULL ? layer->from->alias : layer->from->name;
    item->schema = layer->from->alias != NULL ? NULL : layer->from->schema;
    vec_add(binder->arena, &scope->items, item);
    *result = scope;
    return ERR_OK;
}

/* A view's texts mean what they meant to its owner, and errors do not point into them. */
struct around {
    const char *text;
    struct bind_notes *notes;
    oid_t role;
};

static struct around
enter(struct binder *binder, const struct relation *view)
{
    struct around around = {binder->text, binder->notes, binder->role};
    binder->text = NULL;
    binder->notes = NULL;
    binder->role = view->owner;
    binder->view_depth++;
    return around;
}

static void
leave(struct binder *binder, const struct around *around)
{
    binder->text = around->text;
    binder->notes = around->notes;
    binder->role = around->role;
    binder->view_depth--;
}

static enum err
bind_columns(
    struct binder *binder, const struct view_layer *layer, struct scope *scope, struct expr **exprs)
{
    uint32_t i = 0;
    scope->clause = CLAUSE_TARGETS;
    AST_FOREACH(at, layer->query->targets)
    {
        if (i < layer->view->column_count) {
            TRY(bind_expr(binder, scope, ast_as_target(*at)->value, &exprs[i]));
            TRY(bind_to_text_if_unknown(binder, &exprs[i]));
        }
        i++;
    }
    scope->clause = CLAUSE_NONE;
    if (i != layer->view->column_count) {
        return bind_error(
            binder, -1, ERR_CORRUPT, "view \"%s\" has other columns", layer->view->name);
    }
    return ERR_OK;
}

enum err
bind_view_item(struct binder *binder, const struct view_layer *layer, const struct relation *table,
    struct rel *rel, reg_t base, struct from_item **result)
{
    const struct relation *view = layer->view;
    struct around around = enter(binder, view);
    struct expr **exprs = arena_array(binder->arena, view->column_count + 1U, sizeof *exprs);
    struct scope *scope = NULL;
    enum err err = layer_scope(binder, layer, table, rel, base, &scope);
    if (err == ERR_OK) {
        err = bind_columns(binder, layer, scope, exprs);
    }
    leave(binder, &around);
    TRY(err);
    struct from_item *item = arena_alloc(binder->arena, sizeof *item);
    const char **names = arena_array(binder->arena, view->column_count + 1U, sizeof *names);
    for (uint16_t i = 0; i < view->column_count; i++) {
        names[i] = view->columns[i].name;
    }
    item->alias = view->name;
    item->view = view;
    item->rel = rel;
    item->names = names;
    item->exprs = exprs;
    item->column_count = view->column_count;
    *result = item;
    return ERR_OK;
}

/* ---- the target of a statement ----------------------------------------------------------------
 */

/* Which column of the table each of the view's is; targets that are no values of a row alone. */
static enum err
map_columns(struct binder *binder, struct view_target *target, const char **why)
{
    const struct relation *table = target->table;
    const struct view_layer *layer = target->layer;
    struct around around = enter(binder, layer->view);
    struct scope *scope = NULL;
    struct expr **exprs = arena_array(binder->arena, layer->view->column_count + 1U, sizeof *exprs);
    reg_t base = bind_registers(binder, table->column_count);
    enum err err = layer_scope(binder, layer, table, NULL, base, &scope);
    if (err == ERR_OK) {
        err = bind_columns(binder, layer, scope, exprs);
    }
    leave(binder, &around);
    TRY(err);
    *why = scope->query->aggregates.count > 0
               ? "Views that return aggregate functions are not automatically updatable."
           : scope->query->windows.count > 0
               ? "Views that return window functions are not automatically updatable."
           : scope->query->set_function != NULL
               ? "Views that return set-returning functions are not automatically updatable."
               : NULL;
    target->columns = arena_array(binder->arena, layer->view->column_count + 1U, sizeof(int32_t));
    bool any = false;
    for (uint16_t i = 0; i < layer->view->column_count; i++) {
        const struct expr *expr = exprs[i];
        bool plain = expr->kind == EXPR_REGISTER && expr->reg >= base &&
                     expr->reg - base < table->column_count;
        for (uint16_t k = 0; k < i && plain; k++) {
            plain = target->columns[k] != (int32_t)(expr->reg - base);
        }
        target->columns[i] = plain ? (int32_t)(expr->reg - base) : -1;
        any |= plain;
    }
    if (*why == NULL && !any && strcmp(target->verb, "delete from") != 0) {
        *why = "Views that have no updatable columns are not automatically updatable.";
    }
    return ERR_OK;
}

enum err
bind_view_target(struct binder *binder, const struct relation *view, const char *verb,
    struct view_target **result)
{
    struct view_target *target = arena_alloc(binder->arena, sizeof *target);
    const char *why = NULL;
    target->verb = verb;
    target->view = view;
    struct around around = enter(binder, view);
    enum err err = find_layers(binder, view, 0, &target->layer, &target->table, &view, &why);
    leave(binder, &around);
    TRY(err);
    for (struct view_layer *layer = target->layer; layer != NULL && why == NULL;
         layer = layer->below) {
        struct view_target one = {
            .layer = layer, .view = layer->view, .table = target->table, .verb = verb};
        TRY(map_columns(binder, &one, &why));
        if (layer == target->layer) {
            target->columns = one.columns;
        }
        view = layer->view;
    }
    if (why != NULL) {
        return refuse(binder, view, verb, why);
    }
    for (struct view_layer *layer = target->layer; layer != NULL; layer = layer->below) {
        bind_lock(binder, layer->view, TXN_ROW_EXCLUSIVE);
    }
    *result = target;
    return ERR_OK;
}

void
bind_view_need(struct binder *binder, const struct view_target *target, uint32_t privileges)
{
    oid_t role = binder->role;
    for (const struct view_layer *layer = target->layer; layer != NULL; layer = layer->below) {
        bind_need(binder, layer->view, privileges);
        binder->role = layer->view->owner;
    }
    bind_need(binder, target->table, privileges);
    binder->role = role;
}

enum err
bind_view_column(struct binder *binder, const struct view_target *target, const char *name,
    int32_t location, uint32_t *column)
{
    const struct relation *view = target->view;
    int found = relation_column(view, name);
    if (found < 0) {
        return bind_error(binder, location, ERR_UNDEFINED_COLUMN,
            "column \"%s\" of relation \"%s\" does not exist", name, view->name);
    }
    if (target->columns[found] < 0) {
        (void)bind_error(binder, -1, ERR_FEATURE_NOT_SUPPORTED,
            "cannot %s column \"%s\" of view \"%s\"", target->verb, name, view->name);
        diag_detail(binder->diag,
            "View columns that are not columns of their base relation are not updatable.");
        return ERR_FEATURE_NOT_SUPPORTED;
    }
    *column = (uint32_t)target->columns[found];
    return ERR_OK;
}

static enum err
layer_condition(struct binder *binder, const struct view_layer *layer, const struct relation *table,
    struct rel *rel, reg_t base, struct scope *into, struct expr **condition)
{
    *condition = NULL;
    if (layer->query->where == NULL) {
        return ERR_OK;
    }
    struct around around = enter(binder, layer->view);
    struct scope *scope = NULL;
    enum err err = layer_scope(binder, layer, table, rel, base, &scope);
    if (err == ERR_OK) {
        if (into != NULL) {
            scope->query = into->query; /* its subqueries are those of the statement's query */
        }
        scope->clause = CLAUSE_WHERE;
        err = bind_condition(binder, scope, layer->query->where, "WHERE", condition);
    }
    leave(binder, &around);
    return err;
}

enum err
bind_view_conditions(
    struct binder *binder, const struct view_target *target, struct rel *rel, struct scope *scope)
{
    for (const struct view_layer *layer = target->layer; layer != NULL; layer = layer->below) {
        struct expr *condition;
        TRY(layer_condition(binder, layer, target->table, rel, rel->base, scope, &condition));
        if (condition != NULL) {
            expr_conjuncts(binder->arena, condition, &scope->query->from->conds);
        }
    }
    return ERR_OK;
}

/* The innermost first. */
static enum err
add_checks(struct binder *binder, const struct view_target *target, const struct view_layer *layer,
    bool cascaded, struct modify *modify)
{
    if (layer == NULL) {
        return ERR_OK;
    }
    cascaded = cascaded || layer->view->check_option == 'c';
    TRY(add_checks(binder, target, layer->below, cascaded, modify));
    if (!cascaded && layer->view->check_option != 'l') {
        return ERR_OK;
    }
    struct expr *condition;
    TRY(layer_condition(binder, layer, target->table, NULL, modify->new_base, NULL, &condition));
    if (condition == NULL) {
        return ERR_OK;
    }
    uint32_t count = modify->check_count;
    struct expr **checks = arena_array(binder->arena, count + 1U, sizeof *checks);
    const char **names = arena_array(binder->arena, count + 1U, sizeof *names);
    if (count > 0) {
        memcpy(checks, modify->checks, count * sizeof *checks);
        memcpy(names, modify->check_names, count * sizeof *names);
    }
    struct expr **list = arena_array(binder->arena, 1, sizeof *list);
    list[0] = condition;
    checks[count] = expr_list(binder, EXPR_IS_TRUE, TYPE_BOOL, -1, list, 1);
    names[count] = layer->view->name;
    modify->checks = checks;
    modify->check_names = names;
    modify->check_count++;
    return ERR_OK;
}

enum err
bind_view_checks(struct binder *binder, const struct view_target *target, struct modify *modify)
{
    return add_checks(binder, target, target->layer, false, modify);
}

enum err
plan_view_refused(struct task *task, struct plan_context *context, const struct relation *view,
    const char *verb, const char **why)
{
    struct binder binder;
    bind_start(&binder, task, context);
    binder.text = NULL;
    struct view_target *target;
    *why = NULL;
    enum err err = bind_view_target(&binder, view, verb, &target);
    if (err == ERR_OBJECT_STATE) {
        *why = arena_strdup(context->arena, context->diag->detail);
        diag_clear(context->diag);
        return ERR_OK;
    }
    return err;
}

bool
plan_view_probe(
    struct eval *eval, const struct catalog *catalog, const struct relation *view, const char *verb)
{
    struct diag diag = {0};
    struct plan_context context = {
        .arena = eval->arena, .diag = &diag, .catalog = catalog, .env = eval->env};
    const char *why;
    return plan_view_refused(eval->task, &context, view, verb, &why) == ERR_OK && why == NULL;
}
