/* sql/ddl/constraint.c - columns, keys and checks from the syntax tree into an edit. */
#include "base/assert.h"
#include "sql/ddl/ddl_internal.h"
#include "sql/plan/plan.h"

/* ---- options
 * ------------------------------------------------------------------------------------- */

static bool
is_storage_parameter(const char *name, bool index)
{
    static const char *const of_tables[] = {"fillfactor", "toast_tuple_target", "parallel_workers",
        "user_catalog_table", "vacuum_index_cleanup", "vacuum_truncate",
        "log_autovacuum_min_duration"};
    static const char *const of_indexes[] = {"fillfactor", "deduplicate_items"};
    if (!index && strncmp(name, "autovacuum_", strlen("autovacuum_")) == 0) {
        return true;
    }
    const char *const *names = index ? of_indexes : of_tables;
    size_t count = index ? sizeof of_indexes / sizeof *names : sizeof of_tables / sizeof *names;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum err
ddl__check_options(struct ddl *ddl, const struct ast_list *options, bool index)
{
    AST_FOREACH(at, options)
    {
        const struct ast_option *option = ast_as_option(*at);
        if (option->schema != NULL && strcmp(option->schema, "toast") != 0) {
            return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE,
                "unrecognized parameter namespace \"%s\"", option->schema);
        }
        if (!is_storage_parameter(option->name, index)) {
            return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE, "unrecognized parameter \"%s\"",
                option->name);
        }
        const struct ast_const *value = option->value != NULL && option->value->kind == AST_CONST
                                            ? ast_as_const(option->value)
                                            : NULL;
        if (strcmp(option->name, "fillfactor") == 0 && value != NULL &&
            value->kind == AST_CONST_INTEGER && (value->integer < 10 || value->integer > 100)) {
            enum err err = diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE,
                "value %lld out of bounds for option \"fillfactor\"", (long long)value->integer);
            diag_detail(ddl->diag, "Valid values are between \"10\" and \"100\".");
            return err;
        }
    }
    return ERR_OK;
}

enum err
ddl__check_tablespace(struct ddl *ddl, const char *tablespace)
{
    if (tablespace != NULL && strcmp(tablespace, "pg_default") != 0) {
        return diag_set(
            ddl->diag, ERR_UNDEFINED_OBJECT, "tablespace \"%s\" does not exist", tablespace);
    }
    return ERR_OK;
}

/* ---- columns
 * ------------------------------------------------------------------------------------- */

static bool
is_system_column(const char *name)
{
    static const char *const names[] = {"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum err
check_collation(struct ddl *ddl, const struct ast_column_def *def, oid_t type)
{
    if (def->collation == NULL) {
        return ERR_OK;
    }
    const struct type *of = type_by_oid(type);
    if (of->category != CATEGORY_STRING) {
        enum err err = diag_set(ddl->diag, ERR_DATATYPE_MISMATCH,
            "collations are not supported by type %s", of->sql_name);
        return ddl__at(ddl, err, def->node.location);
    }
    static const char *const known[] = {"default", "C", "POSIX", "ucs_basic"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(def->collation, known[i]) == 0) {
            return ERR_OK;
        }
    }
    enum err err = diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
        "collation \"%s\" for encoding \"UTF8\" does not exist", def->collation);
    return ddl__at(ddl, err, def->node.location);
}

enum err
ddl__define_column(
    struct ddl *ddl, struct ddl__edit *edit, const struct ast_column_def *def, uint16_t *at)
{
    ASSERT(def->type != NULL);
    if (edit->relation.column_count >= COLUMNS_MAX) {
        return diag_set(
            ddl->diag, ERR_TOO_MANY_COLUMNS, "tables can have at most %d columns", COLUMNS_MAX);
    }
    if (is_system_column(def->name)) {
        return diag_set(ddl->diag, ERR_DUPLICATE_COLUMN,
            "column name \"%s\" conflicts with a system column name", def->name);
    }
    struct column column = {.name = def->name};
    oid_t serial = ddl__serial_type(def->type);
    column.type = serial;
    column.typmod = -1;
    if (serial == 0) {
        TRY(ddl__resolve_column_type(ddl, def->type, &column));
    }
    TRY(ddl__check_column_type(ddl, def->name, column.type, def->node.location));
    TRY(check_collation(ddl, def, column.type));
    *ddl__edit_add_column(ddl, edit) = column;
    *at = (uint16_t)(edit->relation.column_count - 1);
    return serial == 0 ? ERR_OK : ddl__column_sequence(ddl, edit, *at, NULL, false);
}

static enum err
conflicting_null(struct ddl *ddl, const struct ddl__edit *edit, const char *column,
    const struct ast_constraint *constraint)
{
    enum err err = diag_set(ddl->diag, ERR_SYNTAX,
        "conflicting NULL/NOT NULL declarations for column \"%s\" of table \"%s\"", column,
        edit->relation.name);
    return ddl__at(ddl, err, constraint->node.location);
}

static enum err
set_default(struct ddl *ddl, struct ddl__edit *edit, struct column *column,
    const struct ast_constraint *constraint, bool again)
{
    if (again) {
        enum err err = diag_set(ddl->diag, ERR_SYNTAX,
            "multiple default values specified for column \"%s\" of table \"%s\"", column->name,
            edit->relation.name);
        return ddl__at(ddl, err, constraint->node.location);
    }
    if (constraint->expr->kind == AST_CONST &&
        ast_as_const(constraint->expr)->kind == AST_CONST_NULL) {
        return ERR_OK; /* as if there were none */
    }
    struct expr *expr;
    const char *text = ddl__text(ddl, constraint->expr_start, constraint->expr_size);
    TRY(ddl__bind_default(ddl, column, text, constraint->expr_start, NULL, &expr));
    TRY(ddl__column_names(ddl, NULL, text, expr, &text));
    TRY(ddl__keep_column(ddl, column, NULL, &text));
    return ddl__sequence_oids(ddl, text, &column->default_text);
}

enum err
ddl__set_identity(struct ddl *ddl, struct ddl__edit *edit, uint16_t at,
    const struct ast_constraint *constraint, bool has_default)
{
    struct column *column = &edit->columns[at];
    const char *wrong = NULL;
    enum err code = ERR_SYNTAX;
    if (column->type != TYPE_INT2 && column->type != TYPE_INT4 && column->type != TYPE_INT8) {
        code = ERR_INVALID_PARAMETER_VALUE;
        (void)diag_set(
            ddl->diag, code, "identity column type must be smallint, integer, or bigint");
        return code;
    }
    if (column->identity != 0) {
        wrong = "multiple identity specifications for column \"%s\" of table \"%s\"";
    } else if (has_default) {
        wrong = "both default and identity specified for column \"%s\" of table \"%s\"";
    }
    if (wrong != NULL) {
        enum err err = diag_set(ddl->diag, code, wrong, column->name, edit->relation.name);
        return ddl__at(ddl, err, constraint->node.location);
    }
    TRY(ddl__column_sequence(ddl, edit, at, constraint->options, true));
    edit->columns[at].identity = constraint->always ? 'a' : 'd';
    return ERR_OK;
}

enum err
ddl__column_constraints(struct ddl *ddl, struct ddl__edit *edit, uint16_t at,
    const struct ast_column_def *def, bool *said_null)
{
    struct column *column = &edit->columns[at];
    bool said_not_null = false;
    bool said_default = ddl__serial_type(def->type) != 0;
    *said_null = false;
    AST_FOREACH(item, def->constraints)
    {
        const struct ast_constraint *constraint = ast_as_constraint(*item);
        int32_t location = constraint->node.location;
        switch (constraint->kind) {
        case AST_CONSTRAINT_NULL:
            *said_null = true;
            break;
        case AST_CONSTRAINT_NOT_NULL:
            said_not_null = true;
            column->not_null = true;
            break;
        case AST_CONSTRAINT_PRIMARY:
            column->not_null = true;
            if (*said_null) {
                return conflicting_null(ddl, edit, column->name, constraint);
            }
            break;
        case AST_CONSTRAINT_DEFAULT:
            TRY(set_default(ddl, edit, column, constraint, said_default));
            said_default = true;
            break;
        case AST_CONSTRAINT_IDENTITY:
            TRY(ddl__set_identity(ddl, edit, at, constraint, said_default));
            column = &edit->columns[at];
            break;
        case AST_CONSTRAINT_GENERATED:
            if (said_default || column->identity != 0) {
                return ddl__at(ddl,
                    diag_set(ddl->diag, ERR_SYNTAX,
                        "both %s and generation expression specified for column \"%s\" of table "
                        "\"%s\"",
                        said_default ? "default" : "identity", column->name, edit->relation.name),
                    location);
            }
            column->generated = true; /* its expression: the caller's second pass */
            break;
        case AST_CONSTRAINT_EXCLUDE:
            return ddl__unsupported(ddl, "an exclusion constraint", location);
        case AST_CONSTRAINT_CHECK:
        case AST_CONSTRAINT_UNIQUE:
        case AST_CONSTRAINT_FOREIGN:
            break; /* the caller's second pass */
        }
        if (*said_null && said_not_null) {
            return conflicting_null(ddl, edit, column->name, constraint);
        }
    }
    return ERR_OK;
}

/* ---- generated columns
 * -------------------------------------------------------------------------------- */

enum err
ddl__check_immutable(struct ddl *ddl, const struct expr *expr, const char *words)
{
    if (task_stack_left(ddl->task) < 16 * 1024) {
        return diag_set(ddl->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    if (expr->kind == EXPR_CONST || expr->kind == EXPR_PARAM || expr->kind == EXPR_REGISTER) {
        return ERR_OK;
    }
    if (expr->function != NULL &&
        (expr->function->flags & (FUNCTION_STABLE | FUNCTION_VOLATILE)) != 0) {
        return diag_set(ddl->diag, ERR_INVALID_OBJECT_DEFINITION, "%s", words);
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        TRY(ddl__check_immutable(ddl, expr->list[i], words));
    }
    return ERR_OK;
}

enum err
ddl__add_generated(
    struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint, int at)
{
    struct column *column = &edit->columns[at];
    const char *text = ddl__text(ddl, constraint->expr_start, constraint->expr_size);
    struct expr *expr;
    TRY(ddl__bind_default(ddl, column, text, constraint->expr_start, &edit->relation, &expr));
    TRY(ddl__check_immutable(ddl, expr, "generation expression is not immutable"));
    bool *used = arena_array(ddl->arena, edit->relation.column_count, sizeof *used);
    TRY(ddl__columns_used(ddl, expr, used));
    for (uint16_t i = 0; i < edit->relation.column_count; i++) {
        if (used[i] && edit->columns[i].generated) {
            enum err err = diag_set(ddl->diag, ERR_INVALID_OBJECT_DEFINITION,
                "cannot use generated column \"%s\" in column generation expression",
                edit->columns[i].name);
            diag_detail(ddl->diag, "A generated column cannot reference another generated column.");
            return err;
        }
    }
    TRY(ddl__column_names(ddl, &edit->relation, text, expr, &text));
    TRY(ddl__keep_column(ddl, column, &edit->relation, &text));
    column->default_text = text;
    return ERR_OK;
}

/* ---- keys
 * ---------------------------------------------------------------------------------------- */

enum err
ddl__key_type(struct ddl *ddl, oid_t type, int32_t location)
{
    if (type_is_ordered(type)) {
        return ERR_OK;
    }
    enum err err = diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
        "data type %s has no default operator class for access method \"btree\"",
        type_by_oid(type)->sql_name);
    diag_hint(ddl->diag,
        "You must specify an operator class for the index or define a default operator class for "
        "the data type.");
    return ddl__at(ddl, err, location);
}

static enum err
add_key_column(struct ddl *ddl, const struct ddl__edit *edit, struct index *index, int column,
    const char *name, int32_t location)
{
    if (column < 0) {
        enum err err = diag_set(
            ddl->diag, ERR_UNDEFINED_COLUMN, "column \"%s\" named in key does not exist", name);
        return ddl__at(ddl, err, location);
    }
    for (uint16_t i = 0; i < index->column_count; i++) {
        if (index->columns[i] == column) {
            enum err err = diag_set(ddl->diag, ERR_DUPLICATE_COLUMN,
                "column \"%s\" appears twice in %s constraint", name,
                index->primary ? "primary key" : "unique");
            return ddl__at(ddl, err, location);
        }
    }
    if (index->column_count == INDEX_COLUMNS_MAX) {
        return diag_set(ddl->diag, ERR_TOO_MANY_COLUMNS,
            "cannot use more than %d columns in an index", INDEX_COLUMNS_MAX);
    }
    TRY(ddl__key_type(ddl, edit->columns[column].type, location));
    index->columns[index->column_count++] = (uint16_t)column;
    return ERR_OK;
}

static enum err
refuse_key_extras(struct ddl *ddl, const struct ast_constraint *constraint)
{
    int32_t location = constraint->node.location;
    if (constraint->deferrable || constraint->initially_deferred) {
        return ddl__unsupported(ddl, "a deferrable constraint", location);
    }
    if (constraint->using_index != NULL) {
        return ddl__unsupported(ddl, "ADD CONSTRAINT USING INDEX", location);
    }
    return ddl__check_options(ddl, constraint->options, true);
}

enum err
ddl__add_key(struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint,
    int column, struct index **added)
{
    struct relation *relation = &edit->relation;
    TRY(refuse_key_extras(ddl, constraint));
    bool primary = constraint->kind == AST_CONSTRAINT_PRIMARY;
    if (primary && relation->primary != NULL) {
        enum err err = diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
            "multiple primary keys for table \"%s\" are not allowed", relation->name);
        return ddl__at(ddl, err, constraint->node.location);
    }
    struct index index = {.unique = true,
        .primary = primary,
        .constraint = true,
        .nulls_not_distinct = constraint->nulls_not_distinct};
    if (column >= 0) {
        TRY(add_key_column(
            ddl, edit, &index, column, edit->columns[column].name, constraint->node.location));
    }
    AST_FOREACH(at, constraint->columns)
    {
        const char *name = ast_as_name(*at)->text;
        TRY(add_key_column(
            ddl, edit, &index, relation_column(relation, name), name, constraint->node.location));
    }
    AST_FOREACH(at, constraint->including)
    {
        const struct ast_node *item = *at;
        const char *name =
            item->kind == AST_NAME ? ast_as_name(item)->text : ast_as_index_column(item)->name;
        TRY(ddl__include_column(ddl, relation, &index, name, constraint->node.location));
    }
    for (uint16_t i = 0; primary && i < index.column_count; i++) {
        edit->columns[index.columns[i]].not_null = true;
    }
    index.name = constraint->name;
    if (index.name == NULL) {
        const char *part = ddl__column_part(ddl->arena, relation, index.columns,
            (uint16_t)(index.column_count + index.included_count));
        index.name =
            ddl__choose_name(ddl, edit, primary ? NULL : part, primary ? "pkey" : "key", true);
    } else if (ddl__constraint_exists(relation, index.name)) {
        return diag_set(
            ddl->diag, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", index.name);
    }
    *added = ddl__edit_add_index(ddl, edit);
    **added = index;
    if (primary) {
        relation->primary = *added;
    }
    return ERR_OK;
}

/* ---- checks
 * -------------------------------------------------------------------------------------- */

enum err
ddl__add_check(struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint,
    int column, struct expr **expr)
{
    (void)column; /* the name follows what the condition looks at, not where it is written */
    struct check check = {
        .not_valid = constraint->not_valid,
        .name = constraint->name,
        .text = ddl__text(ddl, constraint->expr_start, constraint->expr_size),
    };
    int single;
    TRY(ddl__bind_check(ddl, &edit->relation, constraint->expr_start, &check.text, expr, &single));
    if (check.name == NULL) {
        const char *part = single < 0 ? NULL : edit->columns[single].name;
        check.name = ddl__choose_name(ddl, edit, part, "check", false);
    } else if (ddl__constraint_exists(&edit->relation, check.name)) {
        return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT,
            "constraint \"%s\" for relation \"%s\" already exists", check.name,
            edit->relation.name);
    }
    struct ddl_context *context = ddl->context;
    TRY(catalog_new_oid(ddl->task, context->store, &check.oid, ddl->diag));
    *ddl__edit_add_check(ddl, edit) = check;
    return ERR_OK;
}
