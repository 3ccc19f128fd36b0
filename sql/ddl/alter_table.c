/*
 * sql/ddl/alter_table.c - ALTER TABLE.
 *
 * The actions of a statement are carried out one after the other, each on what the one before left.
 * (PostgreSQL sorts them into passes and rewrites once; the outcome is the same.)
 */
#include <stdio.h>

#include "base/assert.h"
#include "sql/catalog/access.h"
#include "sql/catalog/buckets.h"
#include "sql/catalog/replicated.h"
#include "sql/ddl/ddl_internal.h"
#include "sql/plan/plan.h"

/* ---- carrying out
 * ---------------------------------------------------------------------------------- */

/* What has to be done with the rows for a changed definition. */
struct change {
    bool rewrite;         /* into a new tree */
    bool keys;            /* the rows' keys change: all secondary indexes are built anew */
    bool verify;          /* look at checks and not_null (a rewrite always does) */
    bool *stale;          /* per index of the new definition: build anew; may be NULL */
    struct expr **values; /* as in struct ddl__rewrite */
    struct expr **checks;
    bool *not_null;
};

/* A new index gets its OID and claims its name. */
static enum err
register_index(struct ddl *ddl, const struct ddl__edit *edit, struct index *index)
{
    struct ddl_context *context = ddl->context;
    bool taken;
    TRY(catalog_new_oid(ddl->task, context->store, &index->oid, ddl->diag));
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION,
        edit->relation.schema, index->name, index->oid, &taken, ddl->diag));
    if (taken) {
        return diag_set(
            ddl->diag, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", index->name);
    }
    return ERR_OK;
}

static enum err
apply(struct ddl *ddl, const struct relation *from, struct ddl__edit *edit,
    const struct change *change)
{
    struct ddl_context *context = ddl->context;
    struct relation *to = &edit->relation;
    if (change->rewrite) {
        TRY(catalog_row_ids_settle(ddl->task, context->store, from, ddl->diag));
    }
    bool *build = arena_array(ddl->arena, to->index_count, sizeof *build);
    for (uint16_t i = 0; i < to->index_count; i++) {
        struct index *index = &edit->indexes[i];
        if (index->oid == 0) {
            TRY(register_index(ddl, edit, index));
        }
        build[i] = !index->primary && (index->tree.v == 0 || change->keys ||
                                          (change->stale != NULL && change->stale[i]));
    }
    TRY(ddl__new_trees(ddl, edit, change->rewrite, build));
    struct ddl__rewrite rewrite = {
        .from = change->rewrite ? from : to,
        .to = to,
        .values = change->values,
        .checks = change->checks,
        .not_null = change->not_null,
    };
    if (change->rewrite) {
        TRY(ddl__rewrite(ddl, &rewrite));
    } else if (change->verify) {
        TRY(ddl__verify(ddl, &rewrite));
    }
    for (uint16_t i = 0; i < to->index_count; i++) {
        if (build[i]) {
            TRY(ddl__build_index(ddl, to, &edit->indexes[i]));
        }
    }
    return ddl__edit_store(ddl, edit);
}

static enum err
no_such_column(struct ddl *ddl, const struct relation *table, const char *name)
{
    return diag_set(ddl->diag, ERR_UNDEFINED_COLUMN,
        "column \"%s\" of relation \"%s\" does not exist", name, table->name);
}

static bool
index_has_key(const struct index *index, int column)
{
    for (uint16_t i = 0; i < index->column_count; i++) {
        if (index->columns[i] == column) {
            return true;
        }
    }
    return false;
}

/* ---- foreign keys
 * ----------------------------------------------------------------------------------- */

static enum err
add_foreign(struct ddl *ddl, const struct relation *table, const struct ast_constraint *constraint,
    int column)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    oid_t oid;
    TRY(ddl__add_foreign(ddl, edit, constraint, column, &oid));
    TRY(ddl__edit_store(ddl, edit));
    return constraint->not_valid ? ERR_OK : ddl__verify_foreign(ddl, oid);
}

static int
find_foreign(const struct relation *table, const char *name)
{
    for (uint16_t i = 0; i < table->foreign_count; i++) {
        if (strcmp(table->foreign[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static enum err
no_such_constraint(struct ddl *ddl, const struct relation *table, const char *name)
{
    return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
        "constraint \"%s\" of relation \"%s\" does not exist", name, table->name);
}

static enum err
alter_constraint(
    struct ddl *ddl, const struct relation *table, const struct ast_constraint *constraint)
{
    int at = find_foreign(table, constraint->name);
    if (at < 0) {
        return ddl__constraint_exists(table, constraint->name)
                   ? diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE,
                         "constraint \"%s\" of relation \"%s\" is not a foreign key constraint",
                         constraint->name, table->name)
                   : no_such_constraint(ddl, table, constraint->name);
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    edit->foreign[at].deferrable = constraint->deferrable;
    edit->foreign[at].initially_deferred = constraint->initially_deferred;
    return ddl__edit_store(ddl, edit);
}

/* What refers to this table by the index or column that is to go. */
static enum err
release(struct ddl *ddl, const struct relation *table, oid_t index, int column, bool cascade,
    const char *what, const char *on)
{
    const struct ddl__dependents dependents = {.table = table->oid,
        .index = index,
        .column = column,
        .what = what,
        .on = on,
        .cascade = cascade};
    return ddl__release_dependents(ddl, &dependents);
}

/* ---- ADD COLUMN
 * ------------------------------------------------------------------------------------ */

/* Keys and checks written at a new column. */
static enum err
add_column_keys(struct ddl *ddl, struct ddl__edit *edit, const struct ast_column_def *def,
    uint16_t column, struct change *change)
{
    size_t checks_max = edit->relation.check_count + ast_list_count(def->constraints);
    change->checks = arena_array(ddl->arena, checks_max, sizeof(struct expr *));
    AST_FOREACH(at, def->constraints)
    {
        const struct ast_constraint *constraint = ast_as_constraint(*at);
        struct index *added;
        if (constraint->kind == AST_CONSTRAINT_CHECK) {
            struct expr *expr;
            TRY(ddl__add_check(ddl, edit, constraint, column, &expr));
            change->checks[edit->relation.check_count - 1] = expr;
            change->verify = true;
        } else if (constraint->kind == AST_CONSTRAINT_PRIMARY) {
            TRY(ddl__add_key(ddl, edit, constraint, column, &added));
            change->rewrite = true;
            change->keys = true;
        } else if (constraint->kind == AST_CONSTRAINT_UNIQUE) {
            TRY(ddl__add_key(ddl, edit, constraint, column, &added));
        }
    }
    return ERR_OK;
}

/* Foreign keys written at a new column: when the rest is stored, for they may refer to it. */
static enum err
add_column_foreign(struct ddl *ddl, oid_t table, const struct ast_column_def *def, uint16_t column)
{
    AST_FOREACH(at, def->constraints)
    {
        const struct ast_constraint *constraint = ast_as_constraint(*at);
        if (constraint->kind == AST_CONSTRAINT_FOREIGN) {
            const struct relation *relation;
            TRY(ddl__find_again(ddl, table, &relation));
            TRY(add_foreign(ddl, relation, constraint, column));
        }
    }
    return ERR_OK;
}

/* Each node computes the values of its own copy of a replicated table. */
static enum err
check_copies(struct ddl *ddl, const struct relation *table, const struct expr *value)
{
    struct diag ignored;
    struct diag *diag = ddl->diag;
    if (value == NULL || !relation_is_replicated(table) ||
        buckets_node(ddl->context->store)[0] == '\0') {
        return ERR_OK;
    }
    ddl->diag = &ignored;
    enum err err = ddl__check_immutable(ddl, value, "");
    ddl->diag = diag;
    if (err == ERR_OK) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
        "rows of replicated table \"%s\" would get values that are not the same on all nodes",
        table->name);
    diag_hint(diag, "Add the column without a default, UPDATE it, and set the default then.");
    return ERR_FEATURE_NOT_SUPPORTED;
}

static enum err
add_column(struct ddl *ddl, const struct relation *table, const struct ast_alter_action *action)
{
    const struct ast_column_def *def = action->column;
    if (relation_column(table, def->name) >= 0) {
        if (action->if_exists) { /* here it means IF NOT EXISTS */
            ddl__notice(ddl, ERR_DUPLICATE_COLUMN,
                "column \"%s\" of relation \"%s\" already exists, skipping", def->name,
                table->name);
            return ERR_OK;
        }
        return diag_set(ddl->diag, ERR_DUPLICATE_COLUMN,
            "column \"%s\" of relation \"%s\" already exists", def->name, table->name);
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    struct change change = {0};
    uint16_t column;
    bool said_null;
    TRY(ddl__define_column(ddl, edit, def, &column));
    TRY(ddl__column_constraints(ddl, edit, column, def, &said_null));
    AST_FOREACH(at, def->constraints)
    {
        if (ast_as_constraint(*at)->kind == AST_CONSTRAINT_GENERATED) {
            TRY(ddl__add_generated(ddl, edit, ast_as_constraint(*at), column));
        }
    }
    TRY(add_column_keys(ddl, edit, def, column, &change));

    const struct column *added = &edit->columns[column];
    const char *value = catalog_column_default(ddl->catalog, added);
    if (value != NULL) {
        change.rewrite = true;
        change.values = arena_array(ddl->arena, edit->relation.column_count, sizeof(struct expr *));
        TRY(ddl__bind_default(
            ddl, added, value, -1, added->generated ? table : NULL, &change.values[column]));
        TRY(check_copies(ddl, table, change.values[column]));
    }
    if (added->not_null) {
        change.verify = true;
        change.not_null = arena_array(ddl->arena, edit->relation.column_count, sizeof(bool));
        change.not_null[column] = true;
    }
    if (change.rewrite && change.values == NULL) {
        /* Rows are encoded anew: they have one column more. */
        change.values = arena_array(ddl->arena, edit->relation.column_count, sizeof(struct expr *));
    }
    TRY(apply(ddl, table, edit, &change));
    return add_column_foreign(ddl, table->oid, def, column);
}

/* ---- DROP COLUMN
 * ----------------------------------------------------------------------------------- */

static enum err
check_uses(struct ddl *ddl, const struct relation *table, const struct check *check, int column,
    bool *uses)
{
    struct expr *expr;
    bool *used = arena_array(ddl->arena, table->column_count, sizeof *used);
    TRY(ddl__bind(ddl, check->text, -1, table, TYPE_BOOL, -1, &expr));
    TRY(ddl__columns_used(ddl, expr, used));
    *uses = used[column];
    return ERR_OK;
}

/* The generated column that reads this one; -1: none does. */
static enum err
generated_from(struct ddl *ddl, const struct relation *table, int column, int *generated)
{
    *generated = -1;
    for (uint16_t i = 0; i < table->column_count && *generated < 0; i++) {
        const struct column *other = &table->columns[i];
        if (other->generated && !other->dropped) {
            struct expr *expr;
            bool *used = arena_array(ddl->arena, table->column_count, sizeof *used);
            TRY(ddl__bind_default(ddl, other, other->default_text, -1, table, &expr));
            TRY(ddl__columns_used(ddl, expr, used));
            *generated = used[column] ? i : -1;
        }
    }
    return ERR_OK;
}

static enum err
drop_column(struct ddl *ddl, const struct relation *table, const struct ast_alter_action *action)
{
    struct ddl_context *context = ddl->context;
    int column = relation_column(table, action->name);
    if (column < 0) {
        if (action->if_exists) {
            ddl__notice(ddl, ERR_OK, "column \"%s\" of relation \"%s\" does not exist, skipping",
                action->name, table->name);
            return ERR_OK;
        }
        return no_such_column(ddl, table, action->name);
    }
    const char *what = arena_printf(ddl->arena, "column %s of table %s", action->name, table->name);
    int generated;
    TRY(generated_from(ddl, table, column, &generated));
    if (generated >= 0) {
        const char *name = table->columns[generated].name;
        if (!action->cascade) {
            enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
                "cannot drop %s because other objects depend on it", what);
            diag_detail(ddl->diag, "column %s of table %s depends on %s", name, table->name, what);
            diag_hint(ddl->diag, "Use DROP ... CASCADE to drop the dependent objects too.");
            return err;
        }
        ddl__notice(ddl, ERR_OK, "drop cascades to column %s of table %s", name, table->name);
        const struct ast_alter_action first = {
            .kind = AST_ALTER_DROP_COLUMN, .name = name, .cascade = true};
        oid_t oid = table->oid;
        TRY(drop_column(ddl, table, &first)); /* nothing is generated from it: one level */
        TRY(ddl__find_again(ddl, oid, &table));
        return drop_column(ddl, table, action);
    }
    TRY(release(ddl, table, 0, column, action->cascade, what, what));
    TRY(ddl__find_again(ddl, table->oid, &table));
    TRY(ddl__drop_dependents(ddl, table->oid, (uint32_t)column + 1, action->cascade, NULL, 0));
    TRY(ddl__find_again(ddl, table->oid, &table));
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    struct change change = {0};
    for (uint16_t i = edit->relation.foreign_count; i-- > 0;) {
        const struct foreign_key *key = &edit->foreign[i];
        bool uses = false;
        for (uint16_t c = 0; c < key->column_count; c++) {
            uses |= key->columns[c] == column;
        }
        if (uses) {
            TRY(catalog_comments_remove(ddl->task, context->store, context->txn,
                CATALOG_CLASS_CONSTRAINT, key->oid, ddl->diag));
            ddl__edit_remove_foreign(edit, i);
        }
    }
    for (uint16_t i = edit->relation.index_count; i-- > 0;) {
        bool uses;
        TRY(ddl__index_uses(ddl, &edit->relation, &edit->indexes[i], column, &uses));
        if (uses) {
            change.rewrite = change.rewrite || edit->indexes[i].primary;
            TRY(ddl__drop_index(ddl, edit, i));
        }
    }
    change.keys = change.rewrite;
    for (uint16_t i = edit->relation.check_count; i-- > 0;) {
        bool uses;
        TRY(check_uses(ddl, table, &edit->checks[i], column, &uses));
        if (uses) {
            ddl__edit_remove_check(edit, i);
        }
    }
    TRY(ddl__drop_owned_sequences(ddl, table->oid, column));
    struct column *dropped = &edit->columns[column];
    dropped->identity = 0;
    dropped->generated = false;
    dropped->name = arena_printf(ddl->arena, "........pg.dropped.%d........", column + 1);
    dropped->dropped = true;
    dropped->not_null = false;
    dropped->default_text = NULL;
    TRY(catalog_comment_put(ddl->task, context->store, context->txn, CATALOG_CLASS_RELATION,
        table->oid, column + 1, NULL, ddl->diag));
    return apply(ddl, table, edit, &change);
}

enum err
ddl__drop_column(struct ddl *ddl, const struct relation *table, const char *name)
{
    const struct ast_alter_action action = {
        .kind = AST_ALTER_DROP_COLUMN, .name = name, .cascade = true};
    return drop_column(ddl, table, &action);
}

/* ---- constraints
 * ----------------------------------------------------------------------------------- */

static enum err
add_constraint(
    struct ddl *ddl, const struct relation *table, const struct ast_constraint *constraint)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    struct change change = {0};
    struct index *index;
    switch (constraint->kind) {
    case AST_CONSTRAINT_PRIMARY:
        TRY(ddl__add_key(ddl, edit, constraint, -1, &index));
        change.rewrite = true;
        change.keys = true;
        change.not_null = arena_array(ddl->arena, table->column_count, sizeof(bool));
        for (uint16_t i = 0; i < index->column_count; i++) {
            change.not_null[index->columns[i]] = true;
        }
        break;
    case AST_CONSTRAINT_UNIQUE:
        TRY(ddl__add_key(ddl, edit, constraint, -1, &index));
        break;
    case AST_CONSTRAINT_CHECK:
        change.verify = !constraint->not_valid;
        change.checks =
            arena_array(ddl->arena, (size_t)table->check_count + 1, sizeof(struct expr *));
        TRY(ddl__add_check(ddl, edit, constraint, -1, &change.checks[table->check_count]));
        break;
    case AST_CONSTRAINT_FOREIGN:
        return add_foreign(ddl, table, constraint, -1);
    default:
        return ddl__unsupported(ddl, "an exclusion constraint", constraint->node.location);
    }
    return apply(ddl, table, edit, &change);
}

static enum err
drop_constraint(
    struct ddl *ddl, const struct relation *table, const struct ast_alter_action *action)
{
    struct ddl_context *context = ddl->context;
    int foreign = find_foreign(table, action->name);
    if (foreign >= 0) {
        return ddl__drop_foreign(ddl, table->foreign[foreign].oid);
    }
    for (uint16_t i = 0; i < table->index_count; i++) {
        const struct index *index = &table->indexes[i];
        if (index->constraint && strcmp(index->name, action->name) == 0) {
            TRY(release(ddl, table, index->oid, -1, action->cascade,
                arena_printf(ddl->arena, "constraint %s on table %s", index->name, table->name),
                arena_printf(ddl->arena, "index %s", index->name)));
            TRY(ddl__find_again(ddl, table->oid, &table));
            break;
        }
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    struct change change = {0};
    for (uint16_t i = 0; i < table->index_count; i++) {
        const struct index *index = &table->indexes[i];
        if (index->constraint && strcmp(index->name, action->name) == 0) {
            change.rewrite = index->primary; /* by row id from now on */
            change.keys = index->primary;
            TRY(ddl__drop_index(ddl, edit, i));
            return apply(ddl, table, edit, &change);
        }
    }
    for (uint16_t i = 0; i < table->check_count; i++) {
        if (strcmp(table->checks[i].name, action->name) == 0) {
            TRY(catalog_comments_remove(ddl->task, context->store, context->txn,
                CATALOG_CLASS_CONSTRAINT, table->checks[i].oid, ddl->diag));
            ddl__edit_remove_check(edit, i);
            return apply(ddl, table, edit, &change);
        }
    }
    if (action->if_exists) {
        ddl__notice(ddl, ERR_OK, "constraint \"%s\" of relation \"%s\" does not exist, skipping",
            action->name, table->name);
        return ERR_OK;
    }
    return no_such_constraint(ddl, table, action->name);
}

/* Rows that are there; those written since ADD CONSTRAINT have been checked. */
static enum err
validate_check(struct ddl *ddl, const struct relation *table, uint16_t at)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    struct change change = {.verify = true};
    change.checks = arena_array(ddl->arena, (size_t)table->check_count + 1, sizeof(struct expr *));
    TRY(ddl__bind(ddl, table->checks[at].text, -1, table, TYPE_BOOL, -1, &change.checks[at]));
    edit->checks[at].not_valid = false;
    return apply(ddl, table, edit, &change);
}

static enum err
validate_constraint(
    struct ddl *ddl, const struct relation *table, const struct ast_alter_action *action)
{
    int at = find_foreign(table, action->name);
    if (at >= 0 && !table->foreign[at].valid) {
        oid_t oid = table->foreign[at].oid;
        struct ddl__edit *edit = ddl__edit_new(ddl, table);
        edit->foreign[at].valid = true;
        TRY(txn_lock_table(ddl->task, ddl->context->txn, table->foreign[at].referenced,
            table->foreign[at].referenced_table->name, TXN_ROW_SHARE, TXN_WAIT, ddl->diag));
        TRY(ddl__edit_store(ddl, edit));
        return ddl__verify_foreign(ddl, oid);
    }
    if (at >= 0) {
        return ERR_OK;
    }
    for (uint16_t i = 0; i < table->check_count; i++) {
        if (table->checks[i].not_valid && strcmp(table->checks[i].name, action->name) == 0) {
            return validate_check(ddl, table, i);
        }
    }
    for (uint16_t i = 0; i < table->index_count; i++) {
        if (table->indexes[i].constraint && strcmp(table->indexes[i].name, action->name) == 0) {
            return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE,
                "constraint \"%s\" of relation \"%s\" is not a foreign key or check constraint",
                action->name, table->name);
        }
    }
    return ddl__constraint_exists(table, action->name)
               ? ERR_OK
               : no_such_constraint(ddl, table, action->name);
}

/* ---- ALTER COLUMN
 * ---------------------------------------------------------------------------------- */

static enum err
cannot_be_cast(struct ddl *ddl, const struct column *to, bool is_default)
{
    char *type = type_format(
        ddl->context->env, ddl->arena, column_declared_type(to), column_declared_typmod(to));
    enum err err = diag_set(ddl->diag, ERR_DATATYPE_MISMATCH,
        is_default ? "default for column \"%s\" cannot be cast automatically to type %s"
                   : "column \"%s\" cannot be cast automatically to type %s",
        to->name, type);
    if (!is_default) {
        diag_hint(ddl->diag, "You might need to specify \"USING %s::%s\".",
            parser_quote_ident(ddl->arena, to->name), type);
    }
    return err;
}

static bool
is_cast_error(enum err err)
{
    return err == ERR_DATATYPE_MISMATCH || err == ERR_CANNOT_COERCE;
}

/* The expressions of a type change: the column's new value, its default, and all checks anew. */
static enum err
bind_type_change(struct ddl *ddl, const struct relation *table, struct ddl__edit *edit, int column,
    const struct ast_alter_action *action, struct change *change)
{
    const struct column *to = &edit->columns[column];
    bool is_using = action->expr != NULL;
    const char *text = is_using ? ddl__text(ddl, action->expr_start, action->expr_size)
                                : parser_quote_ident(ddl->arena, to->name);
    change->values = arena_array(ddl->arena, table->column_count, sizeof(struct expr *));
    enum err err = ddl__bind(ddl, text, is_using ? action->expr_start : -1, table,
        column_declared_type(to), column_declared_typmod(to), &change->values[column]);
    if (is_cast_error(err) && !is_using) {
        return cannot_be_cast(ddl, to, false);
    }
    TRY(err);
    if (to->default_text != NULL) {
        struct expr *expr;
        err = ddl__bind(ddl, to->default_text, -1, NULL, column_declared_type(to),
            column_declared_typmod(to), &expr);
        if (is_cast_error(err)) {
            return cannot_be_cast(ddl, to, true);
        }
        TRY(err);
    }
    change->checks = arena_array(ddl->arena, table->check_count, sizeof(struct expr *));
    for (uint16_t i = 0; i < table->check_count; i++) {
        TRY(ddl__bind(
            ddl, table->checks[i].text, -1, &edit->relation, TYPE_BOOL, -1, &change->checks[i]));
    }
    return ERR_OK;
}

static enum err
check_new_key_type(struct ddl *ddl, const struct index *index, int column, oid_t type)
{
    return index_has_key(index, column) ? ddl__key_type(ddl, type, -1) : ERR_OK;
}

/* Over a column of another type an index's expression may mean something else: it is bound again,
 * as if the index were made now. */
static enum err
rebind_derived(struct ddl *ddl, struct ddl__edit *edit)
{
    struct ddl_context *context = ddl->context;
    for (uint16_t i = 0; i < edit->relation.derived_count; i++) {
        struct derived *derived = &edit->derived[i];
        struct ast_node *node;
        struct expr *expr;
        bool condition = derived->name[0] == '\0';
        TRY(parser_parse_expression(
            ddl->arena, derived->text, strlen(derived->text), &node, ddl->diag));
        TRY(context->hooks->describe_index(
            ddl->task, context, node, &edit->relation, condition, &derived->text, &expr));
        derived->type = expr->type;
        derived->typmod = expr->typmod;
        TRY(ddl__check_immutable(ddl, expr,
            condition ? "functions in index predicate must be marked IMMUTABLE"
                      : "functions in index expression must be marked IMMUTABLE"));
        TRY(condition ? ERR_OK : ddl__key_type(ddl, derived->type, -1));
    }
    return ERR_OK;
}

static enum err
alter_type(struct ddl *ddl, const struct relation *table, int column,
    const struct ast_alter_action *action)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    struct column *to = &edit->columns[column];
    TRY(ddl__resolve_column_type(ddl, action->column->type, to));
    TRY(ddl__check_column_type(ddl, to->name, to->type, action->node.location));
    const struct column *was = &table->columns[column];
    if (to->type == was->type && to->typmod == was->typmod && to->domain == was->domain &&
        action->expr == NULL) {
        return ERR_OK;
    }
    int generated;
    TRY(generated_from(ddl, table, column, &generated));
    if (generated >= 0) {
        enum err err = diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
            "cannot alter type of a column used by a generated column");
        diag_detail(ddl->diag, "Column \"%s\" is used by generated column \"%s\".", to->name,
            table->columns[generated].name);
        return err;
    }
    if (to->generated) {
        return ddl__unsupported(ddl, "changing the type of a generated column", -1);
    }
    struct change change = {.rewrite = true};
    TRY(bind_type_change(ddl, table, edit, column, action, &change));
    TRY(check_copies(ddl, table, change.values == NULL ? NULL : change.values[column]));
    if (to->not_null) {
        change.not_null = arena_array(ddl->arena, table->column_count, sizeof(bool));
        change.not_null[column] = true;
    }
    change.stale = arena_array(ddl->arena, table->index_count, sizeof(bool));
    for (uint16_t i = 0; i < table->index_count; i++) {
        bool uses;
        TRY(ddl__index_uses(ddl, table, &table->indexes[i], column, &uses));
        if (uses) {
            TRY(check_new_key_type(ddl, &edit->indexes[i], column, to->type));
            change.stale[i] = true;
            change.keys = change.keys || edit->indexes[i].primary;
        }
    }
    TRY(rebind_derived(ddl, edit));
    TRY(apply(ddl, table, edit, &change));
    return ddl__recheck_foreign(ddl, table->oid, (uint16_t)column);
}

static enum err
set_default(struct ddl *ddl, const struct relation *table, int column,
    const struct ast_alter_action *action)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    struct column *to = &edit->columns[column];
    if (to->identity != 0 || to->generated) {
        enum err err =
            diag_set(ddl->diag, ERR_SYNTAX, "column \"%s\" of relation \"%s\" is %s column",
                to->name, table->name, to->generated ? "a generated" : "an identity");
        if (action->kind == AST_ALTER_DROP_DEFAULT) {
            diag_hint(ddl->diag, "Use ALTER TABLE ... ALTER COLUMN ... DROP %s instead.",
                to->generated ? "EXPRESSION" : "IDENTITY");
        }
        return err;
    }
    bool null =
        action->kind == AST_ALTER_DROP_DEFAULT ||
        (action->expr->kind == AST_CONST && ast_as_const(action->expr)->kind == AST_CONST_NULL);
    to->default_text = NULL;
    if (!null) {
        struct expr *expr;
        to->default_text = ddl__text(ddl, action->expr_start, action->expr_size);
        TRY(ddl__bind_default(ddl, to, to->default_text, action->expr_start, NULL, &expr));
        TRY(ddl__column_names(ddl, NULL, to->default_text, expr, &to->default_text));
        TRY(ddl__keep_column(ddl, to, NULL, &to->default_text));
        TRY(ddl__sequence_oids(ddl, to->default_text, &to->default_text));
    }
    return ddl__edit_store(ddl, edit);
}

static enum err
set_not_null(struct ddl *ddl, const struct relation *table, int column, bool not_null)
{
    if (table->columns[column].not_null == not_null) {
        return ERR_OK;
    }
    if (!not_null && table->columns[column].identity != 0) {
        return diag_set(ddl->diag, ERR_SYNTAX,
            "column \"%s\" of relation \"%s\" is an identity column", table->columns[column].name,
            table->name);
    }
    if (!not_null && table->primary != NULL && index_has_key(table->primary, column)) {
        return diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
            "column \"%s\" is in a primary key", table->columns[column].name);
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    edit->columns[column].not_null = not_null;
    struct change change = {.verify = not_null};
    change.not_null = arena_array(ddl->arena, table->column_count, sizeof(bool));
    change.not_null[column] = not_null;
    return apply(ddl, table, edit, &change);
}

static enum err
add_identity(struct ddl *ddl, const struct relation *table, int number,
    const struct ast_constraint *constraint)
{
    const struct column *column = &table->columns[number];
    const char *words = !column->not_null ? "must be declared NOT NULL before identity can be "
                                            "added"
                        : column->identity != 0        ? "is already an identity column"
                        : column->default_text != NULL ? "already has a default value"
                                                       : NULL;
    if (words != NULL) {
        return diag_set(ddl->diag, ERR_OBJECT_STATE, "column \"%s\" of relation \"%s\" %s",
            column->name, table->name, words);
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    TRY(ddl__set_identity(ddl, edit, (uint16_t)number, constraint, false));
    return ddl__edit_store(ddl, edit);
}

static enum err
drop_identity(struct ddl *ddl, const struct relation *table, int column, bool if_exists)
{
    const char *name = table->columns[column].name;
    if (table->columns[column].identity == 0) {
        if (if_exists) {
            ddl__notice(ddl, ERR_OK,
                "column \"%s\" of relation \"%s\" is not an identity column, skipping", name,
                table->name);
            return ERR_OK;
        }
        return diag_set(ddl->diag, ERR_OBJECT_STATE,
            "column \"%s\" of relation \"%s\" is not an identity column", name, table->name);
    }
    TRY(ddl__drop_owned_sequences(ddl, table->oid, column));
    TRY(ddl__find_again(ddl, table->oid, &table));
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    edit->columns[column].identity = 0;
    edit->columns[column].default_text = NULL;
    return ddl__edit_store(ddl, edit);
}

static enum err
alter_column(struct ddl *ddl, const struct relation *table, const struct ast_alter_action *action)
{
    int column = relation_column(table, action->name);
    if (column < 0) {
        return no_such_column(ddl, table, action->name);
    }
    switch (action->kind) {
    case AST_ALTER_COLUMN_TYPE:
        TRY(ddl__check_retype(ddl, table, (uint32_t)column + 1));
        return alter_type(ddl, table, column, action);
    case AST_ALTER_SET_DEFAULT:
    case AST_ALTER_DROP_DEFAULT:
        return set_default(ddl, table, column, action);
    case AST_ALTER_SET_NOT_NULL:
        return set_not_null(ddl, table, column, true);
    case AST_ALTER_ADD_IDENTITY:
        return add_identity(ddl, table, column, action->constraint);
    case AST_ALTER_DROP_IDENTITY:
        return drop_identity(ddl, table, column, action->if_exists);
    default:
        return set_not_null(ddl, table, column, false);
    }
}

/* ---- the table itself
 * ------------------------------------------------------------------------------ */

enum err
ddl__new_owner(struct ddl *ddl, const char *name, oid_t *owner)
{
    if (strcmp(name, "current_user") == 0 || strcmp(name, "current_role") == 0) {
        name = ddl->context->env->user;
    } else if (strcmp(name, "session_user") == 0) {
        name = ddl->context->env->session_user;
    }
    const struct role *role = catalog_role(ddl->catalog, name);
    if (role == NULL) {
        return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", name);
    }
    *owner = role->oid;
    if (!catalog_role_is(ddl->catalog, ddl->context->owner, role->oid, false)) {
        return diag_set(
            ddl->diag, ERR_INSUFFICIENT_PRIVILEGE, "must be member of role \"%s\"", role->name);
    }
    return ERR_OK;
}

static enum err
set_owner(struct ddl *ddl, const struct relation *table, const char *name)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    TRY(ddl__new_owner(ddl, name, &edit->relation.owner));
    TRY(ddl__grants_follow_owner(ddl, CATALOG_CLASS_RELATION, table->oid, edit->relation.owner));
    return ddl__edit_store(ddl, edit);
}

/* ALTER VIEW, ALTER SEQUENCE .. OWNER TO; ALTER TABLE may say it of both. *done false: it says
 * something else. */
static enum err
set_owner_of_other(struct ddl *ddl, const struct ast_alter_table *statement,
    const struct relation *relation, bool *done)
{
    struct ddl_context *context = ddl->context;
    const struct ast_alter_action *action = ast_as_alter_action(ast_list_at(statement->actions, 0));
    bool view = relation->kind == RELATION_VIEW;
    *done = ast_list_count(statement->actions) == 1 && action->kind == AST_ALTER_OWNER &&
            (view || relation->kind == RELATION_SEQUENCE) &&
            (statement->object == AST_OBJECT_TABLE ||
                statement->object == (view ? AST_OBJECT_VIEW : AST_OBJECT_SEQUENCE));
    if (!*done) {
        return ERR_OK;
    }
    if (!view && relation->sequence->owner_table != 0) {
        const struct relation *table =
            catalog_relation_by_oid(ddl->catalog, relation->sequence->owner_table);
        oid_t owner;
        TRY(ddl__new_owner(ddl, action->name, &owner));
        if (table != NULL && table->owner != owner) {
            (void)diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "cannot change owner of sequence \"%s\"", relation->name);
            diag_detail(ddl->diag, "Sequence \"%s\" is linked to table \"%s\".", relation->name,
                table->name);
            return ERR_FEATURE_NOT_SUPPORTED;
        }
    }
    struct relation changed = *relation;
    TRY(ddl__new_owner(ddl, action->name, &changed.owner));
    TRY(ddl__grants_follow_owner(ddl, CATALOG_CLASS_RELATION, changed.oid, changed.owner));
    TRY(catalog_relation_put(ddl->task, context->store, context->txn, &changed, ddl->diag));
    return ddl__changed(ddl);
}

static enum err
move_name(struct ddl *ddl, oid_t from, oid_t to, const char *to_name, const char *name, oid_t oid)
{
    struct ddl_context *context = ddl->context;
    bool taken;
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION, to, name,
        oid, &taken, ddl->diag));
    if (taken) {
        return diag_set(ddl->diag, ERR_DUPLICATE_TABLE,
            "relation \"%s\" already exists in schema \"%s\"", name, to_name);
    }
    return catalog_name_remove(
        ddl->task, context->store, context->txn, CATALOG_NAME_RELATION, from, name, ddl->diag);
}

static enum err
set_schema(struct ddl *ddl, const struct relation *table, const char *name)
{
    const struct ast_table target = {
        .node = {.kind = AST_TABLE, .location = -1}, .schema = name, .name = table->name};
    oid_t schema;
    const char *schema_name;
    TRY(ddl__creation_schema(ddl, &target, &schema, &schema_name));
    TRY(ddl__find_again(ddl, table->oid, &table));
    if (schema == table->schema) {
        return ERR_OK;
    }
    struct view_rename rename = {
        .relation = table->oid, .column = -1, .schema_name = name, .name = table->name};
    struct ddl__followers *followers;
    TRY(ddl__find_followers(ddl, &rename, &followers));
    TRY(move_name(ddl, table->schema, schema, name, table->name, table->oid));
    for (uint16_t i = 0; i < table->index_count; i++) {
        TRY(move_name(
            ddl, table->schema, schema, name, table->indexes[i].name, table->indexes[i].oid));
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    edit->relation.schema = schema;
    TRY(ddl__edit_store(ddl, edit));
    TRY(ddl__follow(ddl, followers));
    const struct relation *owned = catalog_owned_sequence(ddl->catalog, edit->relation.oid, -1);
    for (uint16_t c = 0; owned != NULL && c < edit->relation.column_count; c++) {
        owned = catalog_owned_sequence(ddl->catalog, edit->relation.oid, c);
        if (owned != NULL && owned->schema != schema) {
            TRY(set_schema(ddl, owned, name));
        }
        owned = catalog_owned_sequence(ddl->catalog, edit->relation.oid, -1);
    }
    return ERR_OK;
}

/* ---- the statement
 * --------------------------------------------------------------------------------- */

static enum err
act(struct ddl *ddl, const struct relation *table, const struct ast_alter_action *action)
{
    switch (action->kind) {
    case AST_ALTER_ADD_COLUMN:
        return add_column(ddl, table, action);
    case AST_ALTER_DROP_COLUMN:
        return drop_column(ddl, table, action);
    case AST_ALTER_COLUMN_TYPE:
    case AST_ALTER_SET_DEFAULT:
    case AST_ALTER_DROP_DEFAULT:
    case AST_ALTER_SET_NOT_NULL:
    case AST_ALTER_DROP_NOT_NULL:
    case AST_ALTER_ADD_IDENTITY:
    case AST_ALTER_DROP_IDENTITY:
        return alter_column(ddl, table, action);
    case AST_ALTER_ADD_CONSTRAINT:
        return add_constraint(ddl, table, action->constraint);
    case AST_ALTER_DROP_CONSTRAINT:
        return drop_constraint(ddl, table, action);
    case AST_ALTER_VALIDATE_CONSTRAINT:
        return validate_constraint(ddl, table, action);
    case AST_ALTER_SET_OPTIONS:
    case AST_ALTER_RESET_OPTIONS:
        return ddl__check_options(ddl, action->options, false);
    case AST_ALTER_OWNER:
        return set_owner(ddl, table, action->name);
    case AST_ALTER_SET_SCHEMA:
        return set_schema(ddl, table, action->name);
    case AST_ALTER_SET_TABLESPACE:
        return ddl__check_tablespace(ddl, action->name);
    case AST_ALTER_SET_LOGGED:
        return ERR_OK; /* every table is */
    case AST_ALTER_SET_UNLOGGED:
        return ddl__unsupported(ddl, "ALTER TABLE SET UNLOGGED", -1);
    case AST_ALTER_REPLICA_IDENTITY:
        return ddl__unsupported(ddl, "ALTER TABLE REPLICA IDENTITY", -1);
    case AST_ALTER_CONSTRAINT:
        return alter_constraint(ddl, table, action->constraint);
    case AST_ALTER_MOVE_BUCKETS:
        return ddl__routers_statement(ddl, "ALTER TABLE ... MOVE BUCKETS");
    case AST_ALTER_SPLIT_BUCKET:
        return ddl__split_bucket(ddl, table, action);
    case AST_ALTER_OTHER:
        break;
    }
    return ddl__unsupported(ddl, action->name != NULL ? action->name : "this action", -1);
}

/* ALTER INDEX: storage parameters and nothing else. */
static enum err
alter_index(struct ddl *ddl, const struct ast_alter_table *statement)
{
    const struct relation *table;
    const struct index *index;
    ddl__in_schema(ddl, statement->table->schema, statement->table->name, &table, &index);
    if (index == NULL) {
        if (table == NULL && statement->if_exists) {
            ddl__notice(
                ddl, ERR_OK, "relation \"%s\" does not exist, skipping", statement->table->name);
            return ERR_OK;
        }
        return table == NULL ? diag_set(ddl->diag, ERR_UNDEFINED_TABLE,
                                   "relation \"%s\" does not exist", statement->table->name)
                             : diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not an index",
                                   statement->table->name);
    }
    AST_FOREACH(at, statement->actions)
    {
        const struct ast_alter_action *action = ast_as_alter_action(*at);
        if (action->kind != AST_ALTER_SET_OPTIONS && action->kind != AST_ALTER_RESET_OPTIONS) {
            return ddl__unsupported(ddl, "this form of ALTER INDEX", -1);
        }
        TRY(ddl__check_options(ddl, action->options, true));
    }
    return ERR_OK;
}

/* What each action needs, as in PostgreSQL: readers need not wait for foreign keys. */
static enum txn_table_lock
lock_of(const struct ast_alter_action *action)
{
    switch (action->kind) {
    case AST_ALTER_ADD_CONSTRAINT:
        return action->constraint->kind == AST_CONSTRAINT_FOREIGN ? TXN_SHARE_ROW_EXCLUSIVE
                                                                  : TXN_ACCESS_EXCLUSIVE;
    case AST_ALTER_VALIDATE_CONSTRAINT:
    case AST_ALTER_SET_OPTIONS:
    case AST_ALTER_RESET_OPTIONS:
        return TXN_SHARE_UPDATE_EXCLUSIVE;
    default:
        return TXN_ACCESS_EXCLUSIVE;
    }
}

static enum txn_table_lock
lock_of_all(const struct ast_list *actions)
{
    enum txn_table_lock mode = TXN_SHARE_UPDATE_EXCLUSIVE;
    AST_FOREACH(at, actions)
    {
        enum txn_table_lock one = lock_of(ast_as_alter_action(*at));
        mode = one > mode ? one : mode;
    }
    return mode;
}

/* What views and sequences have as well: an owner, a schema. */
static bool
only_moves(const struct ast_list *actions)
{
    AST_FOREACH(at, actions)
    {
        enum ast_alter_kind kind = ast_as_alter_action(*at)->kind;
        if (kind != AST_ALTER_SET_SCHEMA && kind != AST_ALTER_OWNER) {
            return false;
        }
    }
    return true;
}

/* ALTER SCHEMA .. OWNER TO. */
static enum err
alter_schema(struct ddl *ddl, const struct ast_alter_table *statement)
{
    struct ddl_context *context = ddl->context;
    const char *name = statement->table->name;
    const struct ast_alter_action *action = ast_as_alter_action(ast_list_at(statement->actions, 0));
    oid_t schema = catalog_schema(ddl->catalog, name);
    oid_t owner;
    if (schema == 0) {
        return diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", name);
    }
    if (action->kind != AST_ALTER_OWNER) {
        return ddl__unsupported(ddl, "this form of ALTER SCHEMA", -1);
    }
    TRY(ddl__check_schema_owner(ddl, schema, name));
    TRY(ddl__new_owner(ddl, action->name, &owner));
    TRY(txn_lock_table(
        ddl->task, context->txn, schema, name, TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
    return ddl__give_schema(ddl, schema, owner);
}

static const char *
action_words(enum ast_alter_kind kind)
{
    switch (kind) {
    case AST_ALTER_ADD_COLUMN:
        return "ADD COLUMN";
    case AST_ALTER_DROP_COLUMN:
        return "DROP COLUMN";
    case AST_ALTER_COLUMN_TYPE:
        return "ALTER COLUMN ... SET DATA TYPE";
    case AST_ALTER_SET_DEFAULT:
        return "ALTER COLUMN ... SET DEFAULT";
    case AST_ALTER_DROP_DEFAULT:
        return "ALTER COLUMN ... DROP DEFAULT";
    case AST_ALTER_SET_NOT_NULL:
        return "ALTER COLUMN ... SET NOT NULL";
    case AST_ALTER_DROP_NOT_NULL:
        return "ALTER COLUMN ... DROP NOT NULL";
    case AST_ALTER_ADD_CONSTRAINT:
        return "ADD CONSTRAINT";
    case AST_ALTER_DROP_CONSTRAINT:
        return "DROP CONSTRAINT";
    default:
        return "of this kind";
    }
}

enum err
ddl__alter_table(struct ddl *ddl, const struct ast_alter_table *statement)
{
    if (statement->object == AST_OBJECT_INDEX) {
        return alter_index(ddl, statement);
    }
    if (statement->object == AST_OBJECT_TYPE || statement->object == AST_OBJECT_DOMAIN) {
        return ddl__alter_type(ddl, statement);
    }
    if (statement->object == AST_OBJECT_SCHEMA) {
        return alter_schema(ddl, statement);
    }
    if (statement->object == AST_OBJECT_DATABASE) {
        return ddl__give_database(ddl, statement->table->name,
            ast_as_alter_action(ast_list_at(statement->actions, 0))->name);
    }
    const struct relation *table;
    TRY(ddl__lock_relation_as(ddl, statement->table, lock_of_all(statement->actions),
        statement->if_exists, ddl__check_relation_owner, &table));
    if (table == NULL) {
        ddl__notice(
            ddl, ERR_OK, "relation \"%s\" does not exist, skipping", statement->table->name);
        return ERR_OK;
    }
    bool done;
    TRY(set_owner_of_other(ddl, statement, table, &done));
    if (done) {
        return ERR_OK;
    }
    bool right_kind = (table->kind == RELATION_VIEW && statement->object != AST_OBJECT_SEQUENCE) ||
                      (table->kind == RELATION_SEQUENCE && statement->object != AST_OBJECT_VIEW);
    if (right_kind && only_moves(statement->actions)) {
        oid_t moved = table->oid;
        AST_FOREACH(at, statement->actions)
        {
            TRY(ddl__find_again(ddl, moved, &table));
            TRY(act(ddl, table, ast_as_alter_action(*at)));
        }
        return ERR_OK;
    }
    if (statement->object == AST_OBJECT_VIEW && table->kind == RELATION_VIEW) {
        return ddl__unsupported(ddl, "this form of ALTER VIEW", -1);
    }
    if (table->kind != RELATION_TABLE ||
        (statement->object == AST_OBJECT_MATERIALIZED_VIEW && !relation_is_materialized(table))) {
        return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a %s", table->name,
            statement->object == AST_OBJECT_MATERIALIZED_VIEW ? "materialized view" : "table");
    }
    if (relation_is_materialized(table)) {
        if (statement->object != AST_OBJECT_TABLE &&
            statement->object != AST_OBJECT_MATERIALIZED_VIEW) {
            return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a view", table->name);
        }
        if (!only_moves(statement->actions)) {
            (void)diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE,
                "ALTER action %s cannot be performed on relation \"%s\"",
                action_words(ast_as_alter_action(ast_list_at(statement->actions, 0))->kind),
                table->name);
            diag_detail(ddl->diag, "This operation is not supported for materialized views.");
            return ERR_WRONG_OBJECT_TYPE;
        }
    } else if (statement->object != AST_OBJECT_TABLE) {
        return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a %s", table->name,
            statement->object == AST_OBJECT_SEQUENCE ? "sequence" : "view");
    }
    TRY(ddl__check_pending(ddl, table, "ALTER TABLE"));
    oid_t oid = table->oid;
    AST_FOREACH(at, statement->actions)
    {
        TRY(ddl__find_again(ddl, oid, &table));
        TRY(act(ddl, table, ast_as_alter_action(*at)));
    }
    return ERR_OK;
}
