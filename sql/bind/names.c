/*
 * sql/bind/names.c - what a column's name means.
 *
 * A scope is one query level. Names are looked for in the innermost scope first; the first scope
 * that knows a name ends the search, and knowing it twice there is an error (42702). A reference
 * found in an outer scope makes every query between correlated.
 */
#include "sql/bind/bind.h"

static const char *
item_name(const struct from_item *item, uint32_t column)
{
    return item->names != NULL ? item->names[column] : item->relation->columns[column].name;
}

static bool
item_has(const struct from_item *item, uint32_t column)
{
    return item->exprs != NULL || !item->relation->columns[column].dropped;
}

static struct expr *
item_expr(struct binder *binder, struct from_item *item, uint32_t c, int32_t location)
{
    if (item->exprs != NULL) {
        struct expr *expr = item->exprs[c];
        if (expr->kind == EXPR_REGISTER) {
            struct expr *copy =
                expr_register(binder, expr->reg, expr->type, expr->typmod, location);
            copy->domain = expr->domain;
            return copy;
        }
        return expr;
    }
    const struct column *column = &item->relation->columns[c];
    if (item->rel != NULL && item->rel->used != NULL) {
        item->rel->used[c] = true;
    }
    struct expr *expr =
        expr_register(binder, item->base + c, column->type, column->typmod, location);
    expr->domain = column->domain;
    return expr;
}

static const struct merged_column *
item_merged(const struct from_item *item, const char *name)
{
    for (uint32_t i = 0; i < item->merged_count; i++) {
        if (strcmp(item->merged[i].name, name) == 0) {
            return &item->merged[i];
        }
    }
    return NULL;
}

uint32_t
item_find(struct binder *binder, struct from_item *item, const char *name, int32_t location,
    struct expr **expr)
{
    if (item->join) {
        const struct merged_column *merged = item_merged(item, name);
        if (merged != NULL) {
            *expr = merged->expr;
            return 1;
        }
        uint32_t found = item_find(binder, item->left, name, location, expr);
        return found + item_find(binder, item->right, name, location, expr);
    }
    if (item->names == NULL) {
        int c = relation_column(item->relation, name);
        if (c >= 0 && !item->relation->columns[c].dropped) {
            *expr = item_expr(binder, item, (uint32_t)c, location);
            return 1;
        }
    } else {
        uint32_t found = 0;
        for (uint32_t c = 0; c < item->column_count; c++) {
            if (item_has(item, c) && strcmp(item->names[c], name) == 0) {
                found++;
                *expr = item_expr(binder, item, c, location);
            }
        }
        if (found > 0) {
            return found;
        }
    }
    return 0;
}

void
item_columns(
    struct binder *binder, struct from_item *item, struct expr_vec *exprs, struct vec *names)
{
    if (!item->join) {
        for (uint32_t c = 0; c < item->column_count; c++) {
            if (item_has(item, c)) {
                expr_vec_add(binder->arena, exprs, item_expr(binder, item, c, -1));
                vec_add(binder->arena, names, (void *)(uintptr_t)item_name(item, c));
            }
        }
        return;
    }
    for (uint32_t i = 0; i < item->merged_count; i++) {
        expr_vec_add(binder->arena, exprs, item->merged[i].expr);
        vec_add(binder->arena, names, (void *)(uintptr_t)item->merged[i].name);
    }
    struct from_item *sides[] = {item->left, item->right};
    for (int s = 0; s < 2; s++) {
        struct expr_vec its = {0};
        struct vec its_names = {0};
        item_columns(binder, sides[s], &its, &its_names);
        for (uint32_t i = 0; i < its.count; i++) {
            if (item_merged(item, its_names.items[i]) == NULL) {
                expr_vec_add(binder->arena, exprs, its.items[i]);
                vec_add(binder->arena, names, its_names.items[i]);
            }
        }
    }
}

/* ---- notes for view.c ------------------------------------------------------------------------ */

/* The table or subquery whose column `name` is; NULL: none, or a column of USING. */
static struct from_item *
item_leaf(struct binder *binder, struct from_item *item, const char *name, uint32_t *number)
{
    if (item->join) {
        if (item_merged(item, name) != NULL) {
            return NULL;
        }
        struct from_item *found = item_leaf(binder, item->left, name, number);
        return found != NULL ? found : item_leaf(binder, item->right, name, number);
    }
    for (uint32_t c = 0; c < item->column_count; c++) {
        if (item_has(item, c) && strcmp(item_name(item, c), name) == 0) {
            *number = c;
            return item;
        }
    }
    return NULL;
}

static void
note_column(struct binder *binder, struct from_item *item, const char *name, int32_t location)
{
    uint32_t number = 0;
    const struct from_item *leaf =
        binder->notes == NULL ? NULL : item_leaf(binder, item, name, &number);
    if (leaf != NULL) {
        bind_note(binder, &(struct bind_note){.kind = NOTE_COLUMN,
                              .location = location,
                              .alias = leaf->alias,
                              .column = name,
                              .relation = leaf->relation != NULL ? leaf->relation : leaf->view,
                              .number = number});
    } else if (binder->notes != NULL) {
        bind_note(
            binder, &(struct bind_note){.kind = NOTE_COLUMN, .location = location, .column = name});
    }
}

static void
note_star(struct binder *binder, struct from_item *item, int32_t location)
{
    if (binder->notes == NULL) {
        return;
    }
    struct expr_vec exprs = {0};
    struct vec names = {0};
    item_columns(binder, item, &exprs, &names);
    for (uint32_t i = 0; i < names.count; i++) {
        note_column(binder, item, names.items[i], location);
    }
}

struct from_item *
item_for_relation(
    struct binder *binder, struct rel *rel, const struct relation *relation, reg_t base)
{
    struct from_item *item = arena_alloc(binder->arena, sizeof *item);
    item->alias = rel != NULL ? rel->alias : relation->name;
    item->relation = relation;
    item->column_count = relation->column_count;
    item->base = base;
    item->rel = rel;
    return item;
}

/* The item a table name means: by alias, or by the name of a table without one. */
static struct from_item *
item_by_alias(struct from_item *item, const char *schema, const char *name)
{
    if (item->alias != NULL && strcmp(item->alias, name) == 0 &&
        (schema == NULL || (item->schema != NULL && strcmp(item->schema, schema) == 0))) {
        return item;
    }
    if (!item->join) {
        return NULL;
    }
    struct from_item *found = item_by_alias(item->left, schema, name);
    return found != NULL ? found : item_by_alias(item->right, schema, name);
}

static struct from_item *
items_by_alias(const struct vec *items, const char *schema, const char *name)
{
    for (uint32_t i = 0; i < items->count; i++) {
        struct from_item *found = item_by_alias(items->items[i], schema, name);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

static const struct from_item *
item_by_relation_name(const struct from_item *item, const char *name)
{
    if (item->relation != NULL && strcmp(item->relation->name, name) == 0) {
        return item;
    }
    if (!item->join) {
        return NULL;
    }
    const struct from_item *found = item_by_relation_name(item->left, name);
    return found != NULL ? found : item_by_relation_name(item->right, name);
}

static void
mark_correlated(struct scope *from, const struct scope *found)
{
    for (struct scope *at = from; at != found; at = at->parent) {
        if (at->query != NULL && at->query != found->query) {
            at->query->correlated = true;
        }
    }
}

static enum err
missing_table(struct binder *binder, struct scope *scope, const char *name, int32_t location)
{
    for (const struct scope *at = scope; at != NULL; at = at->parent) {
        for (uint32_t i = 0; i < at->items.count; i++) {
            const struct from_item *item = item_by_relation_name(at->items.items[i], name);
            if (item != NULL && item->alias != NULL) {
                (void)bind_error(binder, location, ERR_UNDEFINED_TABLE,
                    "invalid reference to FROM-clause entry for table \"%s\"", name);
                diag_hint(binder->diag, "Perhaps you meant to reference the table alias \"%s\".",
                    item->alias);
                return ERR_UNDEFINED_TABLE;
            }
        }
        if (items_by_alias(&at->hidden, NULL, name) != NULL) {
            (void)bind_error(binder, location, ERR_UNDEFINED_TABLE,
                "invalid reference to FROM-clause entry for table \"%s\"", name);
            diag_hint(binder->diag,
                "There is an entry for table \"%s\", but it cannot be referenced from this part of "
                "the query.",
                name);
            return ERR_UNDEFINED_TABLE;
        }
    }
    return bind_error(
        binder, location, ERR_UNDEFINED_TABLE, "missing FROM-clause entry for table \"%s\"", name);
}

/* The item that `schema.name` means, along the scopes. */
static enum err
scope_item(struct binder *binder, struct scope *scope, const char *schema, const char *name,
    int32_t location, struct from_item **item)
{
    for (struct scope *at = scope; at != NULL; at = at->parent) {
        *item = items_by_alias(&at->items, schema, name);
        if (*item != NULL) {
            mark_correlated(scope, at);
            return ERR_OK;
        }
    }
    return missing_table(binder, scope, name, location);
}

bool
scope_has_relation(const struct scope *scope, const char *name)
{
    for (; scope != NULL; scope = scope->parent) {
        if (items_by_alias(&scope->items, NULL, name) != NULL) {
            return true;
        }
    }
    return false;
}

static struct expr *
system_column(struct binder *binder, const struct from_item *item, const char *name, int32_t at)
{
    if (item->relation != NULL && strcmp(name, "tableoid") == 0) {
        return expr_const(binder, TYPE_OID, datum_int(item->relation->oid), at);
    }
    return NULL;
}

/* A parameter of this name (plan_context); *expr stays NULL if there is none. */
static enum err
named_parameter(struct binder *binder, struct scope *scope, const char *routine, const char *name,
    int32_t at, struct expr **expr)
{
    const struct plan_context *context = binder->context;
    const struct bind_frame *frame = binder->frame;
    const char *own = frame != NULL ? frame->routine : context->routine_name;
    const char *const *names = frame != NULL ? frame->names : context->param_names;
    uint32_t count = frame != NULL ? frame->count : context->param_name_count;
    *expr = NULL;
    if (binder->view_depth > 0 || (routine != NULL && (own == NULL || strcmp(routine, own) != 0))) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (names[i] != NULL && strcmp(names[i], name) == 0) {
            return bind_parameter(binder, scope, i, at, expr);
        }
    }
    return ERR_OK;
}

static enum err
qualified_column(
    struct binder *binder, struct scope *scope, const struct ast_column *column, struct expr **expr)
{
    int32_t location = column->node.location;
    const char *name = column->parts[column->count - 1];
    const char *table = column->parts[column->count - 2];
    const char *schema = column->count > 2 ? column->parts[column->count - 3] : NULL;
    struct from_item *item;
    enum err err = scope_item(binder, scope, schema, table, location, &item);
    if (err == ERR_UNDEFINED_TABLE && schema == NULL) {
        TRY(named_parameter(binder, scope, table, name, location, expr));
        if (*expr != NULL) {
            return ERR_OK;
        }
    }
    TRY(err);
    uint32_t found = item_find(binder, item, name, location, expr);
    if (found == 1) {
        note_column(binder, item, name, location);
        return ERR_OK;
    }
    if (found > 1) {
        return bind_error(
            binder, location, ERR_AMBIGUOUS_COLUMN, "column reference \"%s\" is ambiguous", name);
    }
    *expr = system_column(binder, item, name, location);
    if (*expr != NULL) {
        return ERR_OK;
    }
    return bind_error(
        binder, location, ERR_UNDEFINED_COLUMN, "column %s.%s does not exist", table, name);
}

enum err
scope_column(
    struct binder *binder, struct scope *scope, const struct ast_column *column, struct expr **expr)
{
    if (column->count > 1) {
        return qualified_column(binder, scope, column, expr);
    }
    int32_t location = column->node.location;
    const char *name = column->parts[0];
    for (struct scope *at = scope; at != NULL; at = at->parent) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < at->items.count; i++) {
            found += item_find(binder, at->items.items[i], name, location, expr);
        }
        if (found > 1) {
            return bind_error(binder, location, ERR_AMBIGUOUS_COLUMN,
                "column reference \"%s\" is ambiguous", name);
        }
        if (found == 0 && at->items.count == 1) {
            *expr = system_column(binder, at->items.items[0], name, location);
            found = *expr != NULL;
        }
        if (found == 1) {
            mark_correlated(scope, at);
            for (uint32_t i = 0; i < at->items.count && binder->notes != NULL; i++) {
                struct expr *unused;
                if (item_find(binder, at->items.items[i], name, location, &unused) == 1) {
                    note_column(binder, at->items.items[i], name, location);
                }
            }
            return ERR_OK;
        }
    }
    TRY(named_parameter(binder, scope, NULL, name, location, expr));
    if (*expr != NULL) {
        return ERR_OK;
    }
    for (struct scope *at = scope; at != NULL; at = at->parent) {
        struct from_item *item = items_by_alias(&at->items, NULL, name);
        if (item != NULL) {
            mark_correlated(scope, at);
            *expr = bind_whole_row(binder, item, location);
            return ERR_OK;
        }
    }
    (void)bind_error(binder, location, ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", name);
    for (const struct scope *at = scope; at != NULL; at = at->parent) {
        for (uint32_t i = 0; i < at->hidden.count; i++) {
            struct from_item *item = at->hidden.items[i];
            struct expr *unused;
            if (item->alias != NULL && item_find(binder, item, name, -1, &unused) > 0) {
                diag_hint(binder->diag,
                    "There is a column named \"%s\" in table \"%s\", but it cannot be referenced "
                    "from this part of the query.",
                    name, item->alias);
                return ERR_UNDEFINED_COLUMN;
            }
        }
    }
    return ERR_UNDEFINED_COLUMN;
}

static enum err
star_columns(struct binder *binder, struct scope *scope, const struct ast_column *column,
    struct expr_vec *exprs, struct vec *names)
{
    int32_t location = column->node.location;
    if (column->count == 0) {
        if (scope->items.count == 0) {
            return bind_error(
                binder, location, ERR_SYNTAX, "SELECT * with no tables specified is not valid");
        }
        for (uint32_t i = 0; i < scope->items.count; i++) {
            item_columns(binder, scope->items.items[i], exprs, names);
            note_star(binder, scope->items.items[i], location);
        }
        return ERR_OK;
    }
    struct from_item *item;
    TRY(scope_item(binder, scope, column->count > 1 ? column->parts[column->count - 2] : NULL,
        column->parts[column->count - 1], location, &item));
    item_columns(binder, item, exprs, names);
    note_star(binder, item, location);
    return ERR_OK;
}

enum err
scope_star(struct binder *binder, struct scope *scope, const struct ast_column *column,
    struct expr_vec *exprs, struct vec *names)
{
    int32_t location = column->node.location;
    /* A WITH query may be bound more than once. */
    struct bind_notes *notes = binder->notes;
    if (notes != NULL && bind_note_find(notes, NOTE_COLUMN, location, 0) != NULL) {
        binder->notes = NULL;
    }
    enum err err = star_columns(binder, scope, column, exprs, names);
    binder->notes = notes;
    return err;
}

void
query_column_origin(
    const struct query *query, const struct expr *expr, oid_t *table, int16_t *attnum)
{
    *table = 0;
    *attnum = 0;
    while (query != NULL && expr->kind == EXPR_REGISTER) {
        const struct rel *rel = query_rel(query, expr->reg);
        if (rel == NULL) {
            return;
        }
        if (rel->kind == REL_QUERY) {
            query = rel->query;
            const struct expr *inner = NULL;
            for (uint32_t i = 0; query->kind == QUERY_SELECT && i < query->column_count; i++) {
                if (query->targets[i].reg == expr->reg) {
                    inner = query->targets[i].expr;
                    break;
                }
            }
            if (inner == NULL) {
                return;
            }
            expr = inner;
            continue;
        }
        if (rel->relation != NULL && expr->reg - rel->base < rel->column_count) {
            *table = rel->relation->oid;
            *attnum = (int16_t)(expr->reg - rel->base + 1);
        }
        return;
    }
}
