/*
 * sql/bind/conflict.c - ON CONFLICT: which indexes decide, and what the update does.
 *
 * The update is bound as an UPDATE of its own over two rows: the one in the way, under the target's
 * name, and the one that was to be inserted, as EXCLUDED, whose registers are the INSERT's new row.
 */
#include "sql/bind/bind.h"

/* ---- the indexes ----------------------------------------------------------------------------- */

static enum err
target_column(struct binder *binder, const struct relation *relation,
    const struct ast_index_column *item, uint16_t *column)
{
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
    if (name == NULL && item->expr != NULL && item->expr->kind == AST_COLUMN &&
        ast_as_column(item->expr)->count == 1 && !ast_as_column(item->expr)->star) {
        name = ast_as_column(item->expr)->parts[0]; /* (a) in parentheses of its own */
    }
    if (name == NULL) {
        return bind_unsupported(binder, location, "an expression in ON CONFLICT is");
    }
    int found = relation_column(relation, name);
    if (found < 0 || relation->columns[found].dropped) {
        return bind_error(
            binder, location, ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", name);
    }
    *column = (uint16_t)found;
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

/* The index is over just these columns, in whatever order. */
static bool
same_columns(const struct index *index, const uint16_t *columns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!has_column(index->columns, index->column_count, columns[i])) {
            return false;
        }
    }
    for (uint16_t i = 0; i < index->column_count; i++) {
        if (!has_column(columns, count, index->columns[i])) {
            return false;
        }
    }
    return true;
}

static enum err
infer_indexes(struct binder *binder, struct scope *scope, const struct ast_conflict *conflict,
    struct modify *modify)
{
    const struct relation *relation = modify->relation;
    uint32_t count = ast_list_count(conflict->columns);
    uint16_t *columns = arena_alloc(binder->arena, (count + 1U) * sizeof *columns);
    for (uint32_t i = 0; i < count; i++) {
        TRY(target_column(
            binder, relation, ast_as_index_column(ast_list_at(conflict->columns, i)), &columns[i]));
    }
    if (conflict->index_where != NULL) {
        /* It must make sense; an index over all rows serves whatever it says. */
        struct expr *where;
        scope->clause = CLAUSE_WHERE;
        TRY(bind_condition(binder, scope, conflict->index_where, "WHERE", &where));
        scope->clause = CLAUSE_NONE;
    }
    bool any = false;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        modify->arbiters[i] = index->unique && same_columns(index, columns, count);
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
choose_indexes(struct binder *binder, struct scope *scope, const struct ast_conflict *conflict,
    struct modify *modify)
{
    const struct relation *relation = modify->relation;
    modify->arbiters =
        arena_alloc(binder->arena, (relation->index_count + 1U) * sizeof *modify->arbiters);
    if (conflict->constraint != NULL) {
        return named_constraint(binder, conflict, modify);
    }
    if (ast_list_count(conflict->columns) > 0) {
        return infer_indexes(binder, scope, conflict, modify);
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
    TRY(choose_indexes(binder, scope, conflict, modify));
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
