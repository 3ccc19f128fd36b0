/*
 * sql/bind/conflict.c - ON CONFLICT: which indexes decide, and what the update does.
 *
 * The update is bound as an UPDATE of its own over two rows: the one in the way, under the target's
 * name, and the one that was to be inserted, as EXCLUDED, whose registers are the INSERT's new row.
 */
#include "sql/bind/bind.h"

/* ---- the indexes ----------------------------------------------------------------------------- */

/* What ON CONFLICT (..) names: columns and expressions, over registers 0.. */
struct inference {
    struct binder *binder;
    const struct relation *relation;
    uint16_t *columns;
    uint32_t column_count;
    struct expr_vec exprs;
    struct expr_vec where; /* conjuncts */
};

static enum err
target_item(struct inference *inference, struct scope *row, const struct ast_index_column *item)
{
    struct binder *binder = inference->binder;
    int32_t location = item->node.location;
    if (item->order != AST_SORT_DEFAULT) {
        return bind_error(binder, location, ERR_INVALID_COLUMN_REFERENCE,
            "ASC/DESC is not allowed in ON CONFLICT clause");
    }
    if (item->nulls != AST_NULLS_DEFAULT) {
        return bind_error(binder, location, ERR_INVALID_COLUMN_REFERENCE,
            "NULLS FIRST/LAST is not allowed in ON CONFLICT clause");
    }
    const char *name = item->name;
    if (name == NULL && item->expr->kind == AST_COLUMN && ast_as_column(item->expr)->count == 1 &&
        !ast_as_column(item->expr)->star) {
        name = ast_as_column(item->expr)->parts[0]; /* (a) in parentheses of its own */
    }
    if (name == NULL) {
        struct expr *expr;
        TRY(bind_expr(binder, row, item->expr, &expr));
        TRY(bind_to_text_if_unknown(binder, &expr));
        expr_vec_add(binder->arena, &inference->exprs, expr);
        return ERR_OK;
    }
    int found = relation_column(inference->relation, name);
    if (found < 0 || inference->relation->columns[found].dropped) {
        return bind_error(
            binder, location, ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", name);
    }
    inference->columns[inference->column_count++] = (uint16_t)found;
    return ERR_OK;
}

static bool
has_column(const uint16_t *columns, uint32_t count, uint16_t column)
{
    for (uint32_t i = 0; i < count; i++) {
        if (columns[i] == column) {
            return true;
        }
    }
    return false;
}

/* *is: the expression numbered so in the relation is among those named. */
static enum err
names_derived(struct inference *inference, uint32_t number, bool *named, bool *is)
{
    struct expr *derived;
    TRY(bind_derived(inference->binder, inference->relation, 0, number, &derived));
    *is = false;
    for (uint32_t i = 0; i < inference->exprs.count; i++) {
        if (expr_matches(inference->binder, inference->exprs.items[i], derived)) {
            named[i] = *is = true;
        }
    }
    return ERR_OK;
}

/* The index is over just these columns and expressions, in whatever order, and of at least the rows
 * that WHERE speaks of. */
static enum err
infers(struct inference *inference, const struct index *index, bool *is)
{
    struct binder *binder = inference->binder;
    *is = false;
    for (uint32_t i = 0; i < inference->column_count; i++) {
        if (!has_column(index->columns, index->column_count, inference->columns[i])) {
            return ERR_OK;
        }
    }
    bool *named = arena_array(binder->arena, inference->exprs.count + 1U, sizeof *named);
    for (uint16_t i = 0; i < index->column_count; i++) {
        bool has = has_column(inference->columns, inference->column_count, index->columns[i]);
        if (index->columns[i] >= INDEX_DERIVED) {
            TRY(names_derived(inference, index->columns[i] - INDEX_DERIVED, named, &has));
        }
        if (!has) {
            return ERR_OK;
        }
    }
    for (uint32_t i = 0; i < inference->exprs.count; i++) {
        if (!named[i]) {
            return ERR_OK;
        }
    }
    *is = true;
    if (index->partial > 0) {
        struct expr *holds;
        TRY(bind_derived(binder, inference->relation, 0, index->partial - 1U, &holds));
        *is = expr_implied(binder, inference->where.items, inference->where.count, holds);
    }
    return ERR_OK;
}

static enum err
infer_indexes(struct binder *binder, const struct ast_conflict *conflict, struct modify *modify)
{
    const struct relation *relation = modify->relation;
    uint32_t count = ast_list_count(conflict->columns);
    struct inference inference = {.binder = binder,
        .relation = relation,
        .columns = arena_alloc(binder->arena, (count + 1U) * sizeof(uint16_t))};
    struct query none = {0};
    struct scope *row = scope_new(binder, NULL, &none);
    vec_add(binder->arena, &row->items, item_for_relation(binder, NULL, relation, 0));
    for (uint32_t i = 0; i < count; i++) {
        row->clause = CLAUSE_INDEX;
        TRY(target_item(&inference, row, ast_as_index_column(ast_list_at(conflict->columns, i))));
    }
    if (conflict->index_where != NULL) {
        struct expr *where;
        row->clause = CLAUSE_INDEX_PREDICATE;
        TRY(bind_condition(binder, row, conflict->index_where, "WHERE", &where));
        expr_conjuncts(binder->arena, where, &inference.where);
    }
    bool any = false;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        if (relation->indexes[i].unique) {
            TRY(infers(&inference, &relation->indexes[i], &modify->arbiters[i]));
        }
        any |= modify->arbiters[i];
    }
    if (!any) {
        return bind_error(binder, -1, ERR_INVALID_COLUMN_REFERENCE,
            "there is no unique or exclusion constraint matching the ON CONFLICT specification");
    }
    return ERR_OK;
}

static enum err
named_constraint(struct binder *binder, const struct ast_conflict *conflict, struct modify *modify)
{
    const struct relation *relation = modify->relation;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (index->constraint && strcmp(index->name, conflict->constraint) == 0) {
            modify->arbiters[i] = true;
            return ERR_OK;
        }
    }
    for (uint16_t i = 0; i < relation->check_count; i++) {
        if (strcmp(relation->checks[i].name, conflict->constraint) == 0) {
            return bind_error(binder, -1, ERR_WRONG_OBJECT_TYPE,
                "constraint in ON CONFLICT clause has no associated index");
        }
    }
    return bind_error(binder, -1, ERR_UNDEFINED_OBJECT,
        "constraint \"%s\" for table \"%s\" does not exist", conflict->constraint, relation->name);
}

static enum err
choose_indexes(struct binder *binder, const struct ast_conflict *conflict, struct modify *modify)
{
    const struct relation *relation = modify->relation;
    modify->arbiters =
        arena_alloc(binder->arena, (relation->index_count + 1U) * sizeof *modify->arbiters);
    if (conflict->constraint != NULL) {
        return named_constraint(binder, conflict, modify);
    }
    if (ast_list_count(conflict->columns) > 0) {
        return infer_indexes(binder, conflict, modify);
    }
    if (conflict->update) {
        enum err err = bind_error(binder, conflict->node.location, ERR_SYNTAX,
            "ON CONFLICT DO UPDATE requires inference specification or constraint name");
        diag_hint(binder->diag, "For example, ON CONFLICT (column_name).");
        return err;
    }
    modify->any_conflict = true;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        modify->arbiters[i] = relation->indexes[i].unique;
    }
    return ERR_OK;
}

/* ---- the update ------------------------------------------------------------------------------ */

static enum err
bind_update_part(struct binder *binder, struct scope *scope, const struct ast_table *table,
    const struct ast_conflict *conflict, struct from_item *excluded, struct modify *modify)
{
    const struct relation *relation = modify->relation;
    struct query *query = arena_alloc(binder->arena, sizeof *query);
    struct modify *update = arena_alloc(binder->arena, sizeof *update);
    *update = (struct modify){.statement = STATEMENT_UPDATE, .relation = relation};
    TRY(bind_table_rel(binder, query, relation, table->alias, &update->target));
    struct from_item *row =
        item_for_relation(binder, update->target, relation, update->target->base);
    row->schema = table->alias != NULL ? NULL : relation->schema_name;

    struct scope *inside = arena_copy(binder->arena, scope, sizeof *scope);
    inside->query = query;
    inside->items = inside->hidden = (struct vec){0};
    vec_add(binder->arena, &inside->items, row);
    vec_add(binder->arena, &inside->items, excluded);
    TRY(bind_set_list(binder, inside, conflict->set, update));
    if (conflict->where != NULL) {
        struct expr *where;
        inside->clause = CLAUSE_WHERE;
        TRY(bind_condition(binder, inside, conflict->where, "WHERE", &where));
        expr_conjuncts(binder->arena, where, &update->filter);
    }
    update->new_base = bind_registers(binder, relation->column_count);
    TRY(bind_checks(binder, update));
    modify->update = update;
    return ERR_OK;
}

enum err
bind_conflict(struct binder *binder, struct scope *scope, const struct ast_table *table,
    const struct ast_conflict *conflict, struct modify *modify)
{
    TRY(choose_indexes(binder, conflict, modify));
    if (!conflict->update) {
        return ERR_OK;
    }
    struct from_item *excluded =
        item_for_relation(binder, NULL, modify->relation, modify->new_base);
    excluded->alias = "excluded";
    TRY(bind_update_part(binder, scope, table, conflict, excluded, modify));
    vec_add(binder->arena, &scope->hidden, excluded); /* RETURNING knows it, and does not see it */
    return ERR_OK;
}
