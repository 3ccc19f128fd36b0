/*
 * sql/bind/modify.c - INSERT, UPDATE, DELETE.
 */
#include "sql/bind/bind.h"
#include "sql/catalog/access.h"

/* *view: NULL, or what stands between the name and the table. */
static enum err
target_relation(struct binder *binder, const struct ast_table *table, const char *verb,
    const struct relation **relation, const struct view_target **view)
{
    struct view_target *target;
    *view = NULL;
    TRY(bind_lookup_relation(binder, table, relation));
    int32_t location = table->node.location;
    switch ((*relation)->kind) {
    case RELATION_TABLE:
        if (relation_is_materialized(*relation) && !binder->context->refreshes) {
            return bind_error(binder, -1, ERR_WRONG_OBJECT_TYPE,
                "cannot change materialized view \"%s\"", (*relation)->name);
        }
        bind_lock(binder, *relation, TXN_ROW_EXCLUSIVE);
        binder->writes = true;
        return ERR_OK;
    case RELATION_VIRTUAL:
        return bind_error(binder, location, ERR_INSUFFICIENT_PRIVILEGE,
            "permission denied: \"%s\" is a system catalog", (*relation)->name);
    case RELATION_VIEW:
        TRY(bind_view_target(binder, *relation, verb, &target));
        *view = target;
        *relation = target->table;
        bind_lock(binder, *relation, TXN_ROW_EXCLUSIVE);
        binder->writes = true;
        return ERR_OK;
    case RELATION_INDEX:
        return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE, "cannot open relation \"%s\"",
            (*relation)->name);
    default:
        return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE, "cannot change sequence \"%s\"",
            (*relation)->name);
    }
}

static enum err
find_column(struct binder *binder, const struct relation *relation, const char *name,
    int32_t location, uint32_t *column)
{
    int found = relation_column(relation, name);
    if (found < 0 || relation->columns[found].dropped) {
        return bind_error(binder, location, ERR_UNDEFINED_COLUMN,
            "column \"%s\" of relation \"%s\" does not exist", name, relation->name);
    }
    *column = (uint32_t)found;
    return ERR_OK;
}

/* The table's column that a name in the statement means. */
static enum err
target_column(struct binder *binder, const struct modify *modify, const char *name,
    int32_t location, uint32_t *column)
{
    return modify->view != NULL ? bind_view_column(binder, modify->view, name, location, column)
                                : find_column(binder, modify->relation, name, location, column);
}

static void
target_need(struct binder *binder, const struct modify *modify, uint32_t privileges)
{
    if (modify->view != NULL) {
        bind_view_need(binder, modify->view, privileges);
    } else {
        bind_need(binder, modify->relation, privileges);
    }
}

/* What the statement calls the row in these registers. */
static enum err
target_item(struct binder *binder, const struct modify *modify, const struct ast_table *table,
    struct rel *rel, reg_t base, struct from_item **item)
{
    const struct relation *named = modify->view != NULL ? modify->view->view : modify->relation;
    if (modify->view != NULL) {
        TRY(bind_view_item(binder, modify->view->layer, modify->relation, rel, base, item));
    } else {
        *item = item_for_relation(binder, rel, modify->relation, base);
    }
    (*item)->alias = table->alias != NULL ? table->alias : named->name;
    (*item)->schema = table->alias != NULL ? NULL : named->schema_name;
    return ERR_OK;
}

static enum err
default_value(
    struct binder *binder, const struct relation *relation, uint32_t c, struct expr **expr)
{
    const struct column *column = &relation->columns[c];
    const char *text = catalog_column_default(binder->context->catalog, column);
    if (text == NULL || column->generated) { /* bind_generated has that one */
        *expr = expr_const(binder, column->type, datum_null(), -1);
        (*expr)->typmod = column->typmod;
        return ERR_OK;
    }
    struct query none = {0};
    struct scope scope = {.query = &none};
    TRY(bind_text(binder, &scope, text, CLAUSE_DEFAULT, expr));
    return bind_assign(binder, expr, column);
}

/* ---- tables that foreign keys lead to ---------------------------------------------------------
 *
 * Checks and actions work on them under the statement's locks and picture, so they are locked with
 * the rest: whatever the statement may come to, through any chain of cascades.
 */

static bool
names_any(const uint16_t *columns, uint32_t count, const uint16_t *changed, uint32_t changed_count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < changed_count; j++) {
            if (columns[i] == changed[j]) {
                return true;
            }
        }
    }
    return false;
}

/* Rows of `relation` come to be (or change in these columns; changed NULL: in any). */
static void
lock_referenced(struct binder *binder, const struct relation *relation, const uint16_t *changed,
    uint32_t changed_count)
{
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        const struct foreign_key *key = &relation->foreign[i];
        if (changed == NULL || names_any(key->columns, key->column_count, changed, changed_count)) {
            bind_lock(binder, key->referenced_table, TXN_ROW_SHARE);
        }
    }
}

/* Rows of `relation` go, or change. */
static void
lock_referencing(struct binder *binder, const struct relation *relation, bool deletes,
    const uint16_t *changed, uint32_t changed_count)
{
    struct vec tables = {0}; /* struct foreign_key *: whose tables' rows may change */
    for (uint32_t at = 0;; at++) {
        for (uint32_t i = 0; i < relation->referencing_count; i++) {
            const struct foreign_key *key = relation->referencing[i];
            if (changed != NULL && !deletes &&
                !names_any(key->referenced_columns, key->column_count, changed, changed_count)) {
                continue;
            }
            bool refuses =
                key->on_update == FOREIGN_NO_ACTION || key->on_update == FOREIGN_RESTRICT;
            if (deletes) {
                refuses = key->on_delete == FOREIGN_NO_ACTION || key->on_delete == FOREIGN_RESTRICT;
            }
            bind_lock(binder, key->table, refuses ? TXN_ROW_SHARE : TXN_ROW_EXCLUSIVE);
            bool known = refuses;
            for (uint32_t t = 0; t < tables.count && !known; t++) {
                known = ((const struct foreign_key *)tables.items[t])->table == key->table;
            }
            if (!known) {
                vec_add(binder->arena, &tables, (void *)(uintptr_t)key);
            }
        }
        if (at == tables.count) {
            return;
        }
        relation = ((const struct foreign_key *)tables.items[at])->table;
        lock_referenced(binder, relation, NULL, 0);
        deletes = true; /* or updates: whatever it takes */
        changed = NULL;
    }
}

static void
lock_for_keys(struct binder *binder, const struct modify *modify)
{
    const struct relation *relation = modify->relation;
    switch (modify->statement) {
    case STATEMENT_DELETE:
        lock_referencing(binder, relation, true, NULL, 0);
        break;
    case STATEMENT_UPDATE:
        lock_referenced(binder, relation, modify->changed, modify->changed_count);
        lock_referencing(binder, relation, false, modify->changed, modify->changed_count);
        break;
    default:
        lock_referenced(binder, relation, NULL, 0);
        if (modify->update != NULL) {
            lock_for_keys(binder, modify->update);
        }
        break;
    }
}

/* What may be said of the value of a column that makes its own. */
static enum err
own_value(struct binder *binder, const struct column *column, bool inserts, int32_t location)
{
    enum err err = inserts
                       ? bind_error(binder, -1, ERR_GENERATED_ALWAYS,
                             "cannot insert a non-DEFAULT value into column \"%s\"", column->name)
                       : bind_error(binder, -1, ERR_GENERATED_ALWAYS,
                             "column \"%s\" can only be updated to DEFAULT", column->name);
    (void)location; /* PostgreSQL points nowhere */
    if (column->generated) {
        diag_detail(binder->diag, "Column \"%s\" is a generated column.", column->name);
    } else {
        diag_detail(binder->diag,
            "Column \"%s\" is an identity column defined as GENERATED ALWAYS.", column->name);
        if (inserts) {
            diag_hint(binder->diag, "Use OVERRIDING SYSTEM VALUE to override.");
        }
    }
    return err;
}

/* The expressions of generated columns, over the new row. */
static enum err
bind_generated(struct binder *binder, struct modify *modify)
{
    const struct relation *relation = modify->relation;
    struct query none = {0};
    struct scope *scope = NULL;
    for (uint16_t c = 0; c < relation->column_count; c++) {
        const struct column *column = &relation->columns[c];
        if (!column->generated || column->dropped) {
            continue;
        }
        if (scope == NULL) {
            scope = scope_new(binder, NULL, &none);
            vec_add(binder->arena, &scope->items,
                item_for_relation(binder, NULL, relation, modify->new_base));
            modify->generated =
                arena_alloc(binder->arena, relation->column_count * sizeof *modify->generated);
        }
        struct plan_target *target = &modify->generated[modify->generated_count++];
        target->reg = modify->new_base + c;
        TRY(bind_text(binder, scope, column->default_text, CLAUSE_GENERATED, &target->expr));
        TRY(bind_assign(binder, &target->expr, column));
    }
    return ERR_OK;
}

/* ---- what all three share -------------------------------------------------------------------- */

enum err
bind_checks(struct binder *binder, struct modify *modify)
{
    const struct relation *relation = modify->relation;
    uint32_t count = relation->check_count;
    TRY(bind_generated(binder, modify));
    modify->table_check_count = count;
    modify->derived =
        arena_alloc(binder->arena, (relation->derived_count + 1U) * sizeof *modify->derived);
    for (uint32_t i = 0; i < relation->derived_count; i++) {
        TRY(bind_derived(binder, relation, 0, i, &modify->derived[i]));
    }
    if (count == 0) {
        return modify->view == NULL ? ERR_OK : bind_view_checks(binder, modify->view, modify);
    }
    modify->checks = arena_alloc(binder->arena, count * sizeof *modify->checks);
    modify->check_names = arena_alloc(binder->arena, count * sizeof *modify->check_names);
    struct query none = {0};
    struct scope *scope = scope_new(binder, NULL, &none);
    vec_add(
        binder->arena, &scope->items, item_for_relation(binder, NULL, relation, modify->new_base));
    /* In the order of their names: which one a bad row is told of should not depend on history. */
    const struct check **sorted = arena_alloc_raw(binder->arena, count * sizeof *sorted);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        while (at > 0 && strcmp(sorted[at - 1]->name, relation->checks[i].name) > 0) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = &relation->checks[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_text(binder, scope, sorted[i]->text, CLAUSE_CHECK, &modify->checks[i]));
        TRY(bind_to_boolean(binder, &modify->checks[i], "CHECK"));
        modify->check_names[i] = sorted[i]->name;
    }
    modify->check_count = count;
    return modify->view == NULL ? ERR_OK : bind_view_checks(binder, modify->view, modify);
}

static enum err
bind_returning(
    struct binder *binder, struct scope *scope, struct modify *modify, const struct ast_list *list)
{
    if (ast_list_count(list) == 0) {
        return ERR_OK;
    }
    TRY(bind_targets(
        binder, scope, list, CLAUSE_RETURNING, &modify->returning, &modify->returning_count));
    if (scope->query->set_function != NULL) {
        return bind_error(binder, -1, ERR_FEATURE_NOT_SUPPORTED,
            "set-returning functions are not allowed in RETURNING");
    }
    reg_t base = bind_registers(binder, modify->returning_count);
    const struct relation *relation = modify->relation;
    reg_t row = modify->statement == STATEMENT_DELETE ? modify->target->base : modify->new_base;
    for (uint32_t i = 0; i < modify->returning_count; i++) {
        struct target *target = &modify->returning[i];
        target->reg = base + i;
        const struct expr *expr = target->expr;
        if (expr->kind == EXPR_REGISTER && expr->reg >= row &&
            expr->reg - row < relation->column_count) {
            target->table = relation->oid;
            target->attnum = (int16_t)(expr->reg - row + 1);
        } else {
            query_column_origin(scope->query, expr, &target->table, &target->attnum);
        }
    }
    return ERR_OK;
}

/* ---- INSERT ---------------------------------------------------------------------------------- */

struct insert_columns {
    uint16_t *columns; /* of the relation, in the order of the list */
    uint32_t count;
    int32_t location; /* of the list */
    bool listed;
    const char *unwritable; /* the view's column behind them, which is none of the table */
    int32_t *locations;
    enum ast_overriding overriding;
};

static enum err
insert_column_list(struct binder *binder, const struct modify *modify,
    const struct ast_insert *insert, struct insert_columns *to)
{
    const struct relation *relation = modify->relation;
    const struct view_target *view = modify->view;
    uint32_t listed = ast_list_count(insert->columns);
    to->columns = arena_alloc(binder->arena, (relation->column_count + 1U) * sizeof *to->columns);
    to->locations =
        arena_alloc(binder->arena, (relation->column_count + 1U) * sizeof *to->locations);
    if (listed == 0 && view != NULL) {
        for (uint16_t c = 0; c < view->view->column_count; c++) {
            if (view->columns[c] < 0) {
                to->unwritable = view->view->columns[c].name; /* as far as it is not reached */
                break;
            }
            to->locations[to->count] = -1;
            to->columns[to->count++] = (uint16_t)view->columns[c];
        }
        return ERR_OK;
    }
    if (listed == 0) {
        for (uint16_t c = 0; c < relation->column_count; c++) {
            if (!relation->columns[c].dropped) {
                to->locations[to->count] = -1;
                to->columns[to->count++] = c;
            }
        }
        return ERR_OK;
    }
    to->listed = true;
    bool *seen = arena_alloc(binder->arena, relation->column_count);
    for (uint32_t i = 0; i < listed; i++) {
        const struct ast_target *target = ast_as_target(ast_list_at(insert->columns, i));
        if (target->indirection) {
            return bind_unsupported(
                binder, target->node.location, "assigning to a part of a column is");
        }
        uint32_t column = 0;
        TRY(target_column(binder, modify, target->name, target->node.location, &column));
        if (seen[column]) {
            return bind_error(binder, target->node.location, ERR_DUPLICATE_COLUMN,
                "column \"%s\" specified more than once", target->name);
        }
        seen[column] = true;
        to->locations[to->count] = target->node.location;
        to->columns[to->count++] = (uint16_t)column;
    }
    return ERR_OK;
}

static enum err
check_width(struct binder *binder, const struct insert_columns *columns,
    const struct modify *modify, uint32_t width, int32_t location)
{
    if (width > columns->count && columns->unwritable != NULL) {
        uint32_t unused;
        return bind_view_column(binder, modify->view, columns->unwritable, -1, &unused);
    }
    if (width > columns->count) {
        return bind_error(
            binder, location, ERR_SYNTAX, "INSERT has more expressions than target columns");
    }
    if (columns->listed && width < columns->count) {
        return bind_error(binder, columns->locations[width], ERR_SYNTAX,
            "INSERT has more target columns than expressions");
    }
    return ERR_OK;
}

/* *own: what is given for the column counts for nothing (OVERRIDING USER VALUE). */
static enum err
check_given(struct binder *binder, const struct insert_columns *columns,
    const struct relation *relation, uint32_t column, int32_t location, bool *own)
{
    const struct column *to = &relation->columns[column];
    *own = to->identity != 0 && columns->overriding == AST_OVERRIDING_USER;
    bool refused =
        to->generated || (to->identity == 'a' && columns->overriding == AST_OVERRIDING_NONE);
    return refused ? own_value(binder, to, true, location) : ERR_OK;
}

static enum err
insert_value(struct binder *binder, struct scope *scope, const struct relation *relation,
    const struct insert_columns *columns, uint32_t column, const struct ast_node *node,
    struct expr **expr)
{
    bool own = node->kind == AST_DEFAULT;
    if (!own) {
        TRY(check_given(binder, columns, relation, column, node->location, &own));
    }
    if (own) {
        return default_value(binder, relation, column, expr);
    }
    TRY(bind_expr(binder, scope, node, expr));
    return bind_assign(binder, expr, &relation->columns[column]);
}

static enum err
insert_values(struct binder *binder, struct scope *scope, const struct ast_select *source,
    const struct insert_columns *columns, struct modify *modify)
{
    const struct relation *relation = modify->relation;
    uint32_t rows = ast_list_count(source->values);
    uint32_t width = ast_list_count(ast_as_row(ast_list_at(source->values, 0))->list);
    struct query *query = NULL;
    if (rows > 1) {
        query = arena_alloc(binder->arena, sizeof *query);
        query->kind = QUERY_VALUES;
        query->first_reg = binder->next_reg;
        query->row_count = rows;
        query->values = arena_array(binder->arena, (size_t)rows * width + 1, sizeof *query->values);
    }
    scope->clause = CLAUSE_VALUES;
    for (uint32_t r = 0; r < rows; r++) {
        const struct ast_row *row = ast_as_row(ast_list_at(source->values, r));
        uint32_t its = ast_list_count(row->list);
        if (its != width) {
            return bind_error(
                binder, row->node.location, ERR_SYNTAX, "VALUES lists must all be the same length");
        }
        if (r == 0) {
            TRY(check_width(binder, columns, modify, width,
                width > columns->count ? ast_list_at(row->list, columns->count)->location : -1));
        }
        for (uint32_t i = 0; i < width; i++) {
            struct expr **to = query != NULL ? &query->values[(size_t)r * width + i]
                                             : &modify->columns[columns->columns[i]];
            TRY(insert_value(binder, scope, relation, columns, columns->columns[i],
                ast_list_at(row->list, i), to));
        }
    }
    scope->clause = CLAUSE_NONE;
    if (query == NULL) {
        return ERR_OK;
    }
    query->targets = arena_alloc(binder->arena, (width + 1) * sizeof *query->targets);
    query->target_count = query->column_count = width;
    query->target_base = bind_registers(binder, width);
    for (uint32_t i = 0; i < width; i++) {
        const struct column *column = &relation->columns[columns->columns[i]];
        reg_t reg = query->target_base + i;
        query->targets[i] = (struct target){.reg = reg,
            .plain = true,
            .name = column->name,
            .expr = expr_register(binder, reg, column->type, column->typmod, -1)};
        modify->columns[columns->columns[i]] = query->targets[i].expr;
    }
    query->end_reg = binder->next_reg;
    modify->source = query;
    return ERR_OK;
}

static enum err
insert_select(struct binder *binder, struct scope *scope, const struct ast_select *source,
    const struct insert_columns *columns, struct modify *modify)
{
    struct query *query;
    TRY(bind_query(binder, scope, source, true, &query));
    TRY(check_width(binder, columns, modify, query->column_count, source->node.location));
    for (uint32_t i = 0; i < query->column_count; i++) {
        uint32_t c = columns->columns[i];
        const struct column *column = &modify->relation->columns[c];
        bool own = false;
        TRY(check_given(binder, columns, modify->relation, c, -1, &own));
        if (own) {
            TRY(default_value(binder, modify->relation, c, &modify->columns[c]));
            continue;
        }
        TRY(query_type_unknown(binder, query, i, column->type));
        const struct target *target = &query->targets[i];
        struct expr *expr = expr_register(
            binder, target->reg, target->expr->type, target->expr->typmod, target->expr->location);
        TRY(bind_assign(binder, &expr, column));
        modify->columns[c] = expr;
    }
    modify->source = query;
    return ERR_OK;
}

static bool
plain_values(const struct ast_select *source)
{
    return ast_list_count(source->values) > 0 && ast_list_count(source->order) == 0 &&
           source->limit == NULL && source->offset == NULL &&
           ast_list_count(source->with.ctes) == 0 && ast_list_count(source->locking) == 0;
}

enum err
bind_insert(struct binder *binder, const struct ast_insert *insert, struct modify **result)
{
    struct modify *modify = arena_alloc(binder->arena, sizeof *modify);
    modify->statement = STATEMENT_INSERT;
    struct query *none = arena_alloc(binder->arena, sizeof *none);
    struct scope *scope = scope_new(binder, binder->outer, none);
    TRY(bind_with(binder, scope, &insert->with, NULL));
    const struct relation *relation;
    TRY(target_relation(binder, insert->table, "insert into", &relation, &modify->view));
    modify->relation = relation;
    target_need(binder, modify,
        PRIVILEGE_INSERT | (ast_list_count(insert->returning) > 0 ? PRIVILEGE_SELECT : 0U));
    if (modify->view != NULL && insert->conflict != NULL) {
        return bind_unsupported(
            binder, insert->conflict->node.location, "ON CONFLICT on a view is");
    }
    modify->columns =
        arena_alloc(binder->arena, (relation->column_count + 1U) * sizeof *modify->columns);
    struct insert_columns columns = {.overriding = insert->overriding};
    TRY(insert_column_list(binder, modify, insert, &columns));
    if (insert->source != NULL) {
        TRY(plain_values(insert->source)
                ? insert_values(binder, scope, insert->source, &columns, modify)
                : insert_select(binder, scope, insert->source, &columns, modify));
    }
    for (uint32_t c = 0; c < relation->column_count; c++) {
        if (modify->columns[c] == NULL && !relation->columns[c].dropped) {
            TRY(default_value(binder, relation, c, &modify->columns[c]));
        }
    }
    modify->new_base = bind_registers(binder, relation->column_count);
    TRY(bind_checks(binder, modify));
    struct from_item *item;
    TRY(target_item(binder, modify, insert->table, NULL, modify->new_base, &item));
    vec_add(binder->arena, &scope->items, item);
    if (insert->conflict != NULL) {
        bind_need(binder, relation,
            PRIVILEGE_SELECT | (insert->conflict->set == NULL ? 0U : PRIVILEGE_UPDATE));
        TRY(bind_conflict(binder, scope, insert->table, insert->conflict, modify));
    }
    TRY(bind_returning(binder, scope, modify, insert->returning));
    lock_for_keys(binder, modify);
    *result = modify;
    return ERR_OK;
}

/* ---- UPDATE and DELETE -------------------------------------------------------------------------
 */

/* FROM and WHERE around the target table; the scope then offers all names. */
static enum err
bind_target_query(struct binder *binder, const struct ast_table *table, const char *verb,
    const struct ast_with *with, const struct ast_list *from, struct modify *modify,
    struct scope **scope_at)
{
    const struct relation *relation;
    struct query *query = arena_alloc(binder->arena, sizeof *query);
    struct scope *scope = scope_new(binder, binder->outer, query);
    query->kind = QUERY_SELECT;
    query->first_reg = binder->next_reg;
    TRY(bind_with(binder, scope, with, NULL));
    TRY(target_relation(binder, table, verb, &relation, &modify->view));
    modify->relation = relation;
    modify->source = query;
    struct rel *rel;
    TRY(bind_table_rel(binder, query, relation, table->alias, &rel));
    rel->identity = true;
    rel->modify = true;
    for (uint16_t c = 0; c < relation->column_count; c++) {
        rel->used[c] = !relation->columns[c].dropped;
    }
    modify->target = rel;
    struct from_item *item;
    TRY(target_item(binder, modify, table, rel, rel->base, &item));

    query->from = arena_alloc(binder->arena, sizeof *query->from);
    query->from->kind = TREE_LIST;
    struct join_tree *leaf = arena_alloc(binder->arena, sizeof *leaf);
    leaf->kind = TREE_REL;
    leaf->rel = rel;
    vec_add(binder->arena, &query->from->items, leaf);
    TRY(bind_from(binder, scope, from, query->from));
    /* FROM may not name the target; everything else may. */
    struct vec items = scope->items;
    scope->items = (struct vec){0};
    vec_add(binder->arena, &scope->items, item);
    for (uint32_t i = 0; i < items.count; i++) {
        TRY(scope_add_item(binder, scope, items.items[i], table->node.location));
    }
    *scope_at = scope;
    return modify->view == NULL ? ERR_OK : bind_view_conditions(binder, modify->view, rel, scope);
}

static enum err
bind_where(struct binder *binder, struct scope *scope, const struct ast_node *where)
{
    if (where == NULL) {
        return ERR_OK;
    }
    struct expr *expr;
    scope->clause = CLAUSE_WHERE;
    TRY(bind_condition(binder, scope, where, "WHERE", &expr));
    scope->clause = CLAUSE_NONE;
    expr_conjuncts(binder->arena, expr, &scope->query->from->conds);
    return ERR_OK;
}

/* One column of (a, b) = (SELECT ..): the subquery is bound anew for each. */
static enum err
set_from_query(
    struct binder *binder, struct scope *scope, const struct ast_target *target, struct expr **expr)
{
    int32_t location = target->value->location;
    if (target->value->kind != AST_SUBQUERY) {
        return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression");
    }
    struct query *query;
    TRY(bind_select(binder, scope, ast_as_subquery(target->value)->query, &query));
    if (query->column_count != target->column_count) {
        return bind_error(
            binder, location, ERR_SYNTAX, "number of columns does not match number of values");
    }
    *expr = bind_subquery_column(binder, query, target->column, location);
    return ERR_OK;
}

static struct expr *
old_value(struct binder *binder, const struct modify *modify, uint32_t c)
{
    const struct column *column = &modify->relation->columns[c];
    return expr_register(binder, modify->target->base + c, column->type, column->typmod, -1);
}

enum err
bind_set_list(
    struct binder *binder, struct scope *scope, const struct ast_list *set, struct modify *modify)
{
    const struct relation *relation = modify->relation;
    modify->columns =
        arena_alloc(binder->arena, (relation->column_count + 1U) * sizeof *modify->columns);
    bool *parts = arena_alloc(binder->arena, (relation->column_count + 1U) * sizeof *parts);
    scope->clause = CLAUSE_UPDATE;
    AST_FOREACH(at, set)
    {
        const struct ast_target *target = ast_as_target(*at);
        uint32_t c = 0;
        TRY(target_column(binder, modify, target->name, target->node.location, &c));
        bool part = target->indirection != NULL;
        if (modify->columns[c] != NULL && !(part && parts[c])) {
            return bind_error(
                binder, -1, ERR_SYNTAX, "multiple assignments to same column \"%s\"", target->name);
        }
        struct expr *expr;
        if (target->value->kind == AST_DEFAULT && part) {
            return bind_error(binder, target->node.location, ERR_FEATURE_NOT_SUPPORTED,
                "cannot set an array element to DEFAULT");
        }
        if (target->value->kind == AST_DEFAULT) {
            TRY(default_value(binder, relation, c, &expr));
        } else if (relation->columns[c].generated || relation->columns[c].identity == 'a') {
            return own_value(binder, &relation->columns[c], false, target->node.location);
        } else {
            if (target->column_count > 0) {
                TRY(set_from_query(binder, scope, target, &expr));
            } else {
                TRY(bind_expr(binder, scope, target->value, &expr));
            }
            if (part) {
                TRY(bind_part_assign(binder, scope, &relation->columns[c],
                    modify->columns[c] != NULL ? modify->columns[c] : old_value(binder, modify, c),
                    target, expr, &expr));
            } else {
                TRY(bind_assign(binder, &expr, &relation->columns[c]));
            }
        }
        modify->changed_count += modify->columns[c] == NULL;
        modify->columns[c] = expr;
        parts[c] = part;
    }
    scope->clause = CLAUSE_NONE;
    for (uint16_t c = 0; c < relation->column_count; c++) {
        if (relation->columns[c].generated && !relation->columns[c].dropped &&
            modify->columns[c] == NULL) { /* follows the others */
            TRY(default_value(binder, relation, c, &modify->columns[c]));
            modify->changed_count++;
        }
    }
    modify->changed =
        arena_alloc(binder->arena, (modify->changed_count + 1) * sizeof *modify->changed);
    uint32_t changed = 0;
    for (uint16_t c = 0; c < relation->column_count; c++) {
        const struct column *column = &relation->columns[c];
        if (modify->columns[c] != NULL) {
            modify->changed[changed++] = c;
        } else if (!column->dropped) {
            modify->columns[c] =
                expr_register(binder, modify->target->base + c, column->type, column->typmod, -1);
        }
    }
    return ERR_OK;
}

enum err
bind_update(struct binder *binder, const struct ast_update *update, struct modify **result)
{
    if (update->where_current_of != NULL) {
        return bind_unsupported(binder, update->node.location, "WHERE CURRENT OF is");
    }
    struct modify *modify = arena_alloc(binder->arena, sizeof *modify);
    modify->statement = STATEMENT_UPDATE;
    struct scope *scope;
    TRY(bind_target_query(
        binder, update->table, "update", &update->with, update->from, modify, &scope));
    /* Reading is asked for where it is likely: not for every SET a = b. */
    bool reads =
        update->where != NULL || update->from != NULL || ast_list_count(update->returning) > 0;
    target_need(binder, modify, PRIVILEGE_UPDATE | (reads ? PRIVILEGE_SELECT : 0U));
    TRY(bind_set_list(binder, scope, update->set, modify));
    TRY(bind_where(binder, scope, update->where));
    modify->new_base = bind_registers(binder, modify->relation->column_count);
    TRY(bind_checks(binder, modify));
    /* RETURNING shows the new row under the target's name. */
    struct from_item *item;
    TRY(target_item(binder, modify, update->table, NULL, modify->new_base, &item));
    scope->items.items[0] = item;
    TRY(bind_returning(binder, scope, modify, update->returning));
    modify->source->end_reg = binder->next_reg;
    lock_for_keys(binder, modify);
    *result = modify;
    return ERR_OK;
}

enum err
bind_delete(struct binder *binder, const struct ast_delete *delete, struct modify **result)
{
    if (delete->where_current_of != NULL) {
        return bind_unsupported(binder, delete->node.location, "WHERE CURRENT OF is");
    }
    struct modify *modify = arena_alloc(binder->arena, sizeof *modify);
    modify->statement = STATEMENT_DELETE;
    struct scope *scope;
    TRY(bind_target_query(
        binder, delete->table, "delete from", &delete->with, delete->using_from, modify, &scope));
    bool reads = delete->where != NULL || delete->using_from != NULL ||
                 ast_list_count(delete->returning) > 0;
    target_need(binder, modify, PRIVILEGE_DELETE | (reads ? PRIVILEGE_SELECT : 0U));
    TRY(bind_where(binder, scope, delete->where));
    TRY(bind_returning(binder, scope, modify, delete->returning));
    modify->source->end_reg = binder->next_reg;
    lock_for_keys(binder, modify);
    *result = modify;
    return ERR_OK;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

void
bind_start(struct binder *binder, struct task *task, struct plan_context *context)
{
    *binder = (struct binder){.task = task,
        .context = context,
        .arena = context->arena,
        .diag = context->diag,
        .text = context->text,
        .text_size = context->text == NULL ? 0 : strlen(context->text)};
}

enum err
bind_finish_params(struct binder *binder)
{
    struct plan_context *context = binder->context;
    for (uint32_t i = 0; i < context->param_count; i++) {
        if (context->param_types[i] == 0) {
            return bind_error(binder, -1, ERR_INDETERMINATE_DATATYPE,
                "could not determine data type of parameter $%u", i + 1);
        }
        if (context->param_types[i] == TYPE_UNKNOWN) {
            context->param_types[i] = TYPE_TEXT;
        }
    }
    return ERR_OK;
}
