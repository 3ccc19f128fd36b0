/* sql/ddl/rename.c - ALTER .. RENAME, COMMENT ON. */
#include "base/assert.h"
#include "sql/ddl/ddl_internal.h"
#include "sql/plan/plan.h"

/* ---- names of relations
 * ---------------------------------------------------------------------------- */

static enum err
change_name(
    struct ddl *ddl, const struct relation *table, const char *from, const char *to, oid_t oid)
{
    struct ddl_context *context = ddl->context;
    bool taken;
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION,
        table->schema, to, oid, &taken, ddl->diag));
    if (taken) {
        return diag_set(ddl->diag, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", to);
    }
    return catalog_name_remove(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION,
        table->schema, from, ddl->diag);
}

static enum err
rename_index(struct ddl *ddl, const struct relation *table, uint16_t at, const char *name)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    struct index *index = &edit->indexes[at];
    TRY(change_name(ddl, table, index->name, name, index->oid));
    index->name = name;
    return ddl__edit_store(ddl, edit);
}

static enum err
rename_table(struct ddl *ddl, const struct relation *table, const char *name)
{
    struct view_rename rename = {
        .relation = table->oid, .column = -1, .schema_name = table->schema_name, .name = name};
    struct ddl__followers *followers;
    TRY(ddl__find_followers(ddl, &rename, &followers));
    TRY(change_name(ddl, table, table->name, name, table->oid));
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    edit->relation.name = name;
    TRY(ddl__edit_store(ddl, edit));
    return ddl__follow(ddl, followers);
}

/* ---- columns and constraints
 * ----------------------------------------------------------------------- */

static enum err
rename_column(struct ddl *ddl, const struct relation *table, const struct ast_rename *statement)
{
    int column = relation_column(table, statement->old_name);
    if (column < 0) {
        return diag_set(
            ddl->diag, ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", statement->old_name);
    }
    if (relation_column(table, statement->new_name) >= 0) {
        return diag_set(ddl->diag, ERR_DUPLICATE_COLUMN,
            "column \"%s\" of relation \"%s\" already exists", statement->new_name, table->name);
    }
    struct view_rename rename = {.relation = table->oid,
        .column = column,
        .schema_name = table->schema_name,
        .name = statement->new_name};
    struct ddl__followers *followers;
    TRY(ddl__find_followers(ddl, &rename, &followers));
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    edit->columns[column].name = statement->new_name;
    for (uint16_t i = 0; i < table->column_count; i++) {
        struct column *generated = &edit->columns[i];
        if (generated->generated) {
            struct expr *expr;
            TRY(ddl__bind(ddl, generated->default_text, -1, table, generated->type,
                generated->typmod, &expr));
            TRY(ddl__column_names(
                ddl, &edit->relation, generated->default_text, expr, &generated->default_text));
        }
    }
    for (uint16_t i = 0; i < table->check_count; i++) { /* D5 */
        struct expr *expr;
        TRY(ddl__bind(ddl, table->checks[i].text, -1, table, TYPE_BOOL, -1, &expr));
        TRY(ddl__column_names(
            ddl, &edit->relation, table->checks[i].text, expr, &edit->checks[i].text));
        TRY(ddl__bind(ddl, edit->checks[i].text, -1, &edit->relation, TYPE_BOOL, -1, &expr));
    }
    for (uint16_t i = 0; i < table->derived_count; i++) {
        const struct derived *derived = &table->derived[i];
        struct expr *expr;
        TRY(ddl__bind(ddl, derived->text, -1, table, derived->type, derived->typmod, &expr));
        TRY(ddl__column_names(ddl, &edit->relation, derived->text, expr, &edit->derived[i].text));
    }
    TRY(ddl__edit_store(ddl, edit));
    return ddl__follow(ddl, followers);
}

static enum err
rename_constraint(struct ddl *ddl, const struct relation *table, const struct ast_rename *statement)
{
    if (ddl__constraint_exists(table, statement->new_name)) {
        return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT,
            "constraint \"%s\" for relation \"%s\" already exists", statement->new_name,
            table->name);
    }
    for (uint16_t i = 0; i < table->index_count; i++) {
        if (table->indexes[i].constraint &&
            strcmp(table->indexes[i].name, statement->old_name) == 0) {
            return rename_index(ddl, table, i, statement->new_name);
        }
    }
    for (uint16_t i = 0; i < table->check_count; i++) {
        if (strcmp(table->checks[i].name, statement->old_name) == 0) {
            struct ddl__edit *edit = ddl__edit_new(ddl, table);
            edit->checks[i].name = statement->new_name;
            return ddl__edit_store(ddl, edit);
        }
    }
    for (uint16_t i = 0; i < table->foreign_count; i++) {
        if (strcmp(table->foreign[i].name, statement->old_name) == 0) {
            struct ddl__edit *edit = ddl__edit_new(ddl, table);
            edit->foreign[i].name = statement->new_name;
            return ddl__edit_store(ddl, edit);
        }
    }
    return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
        "constraint \"%s\" for table \"%s\" does not exist", statement->old_name, table->name);
}

/* ---- schemas
 * --------------------------------------------------------------------------------------- */

static enum err
rename_schema(struct ddl *ddl, const char *from, const char *to)
{
    struct ddl_context *context = ddl->context;
    oid_t schema = catalog_schema(ddl->catalog, from);
    if (schema == 0) {
        return diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", from);
    }
    if (schema == NAMESPACE_PG_CATALOG || schema == NAMESPACE_INFORMATION_SCHEMA) {
        return diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE,
            "permission denied: \"%s\" is a system schema", from);
    }
    if (strncmp(to, "pg_", 3) == 0) {
        enum err err =
            diag_set(ddl->diag, ERR_RESERVED_NAME, "unacceptable schema name \"%s\"", to);
        diag_detail(ddl->diag, "The prefix \"pg_\" is reserved for system schemas.");
        return err;
    }
    TRY(txn_lock_table(
        ddl->task, context->txn, schema, from, TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
    TRY(ddl__refresh(ddl));
    bool taken;
    struct catalog_entry entry;
    if (!catalog_schema_by_oid(ddl->catalog, schema, &entry)) {
        return diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", from);
    }
    oid_t parent = catalog_schema_parent(entry.database);
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_SCHEMA, parent, to,
        schema, &taken, ddl->diag));
    if (taken) {
        return diag_set(ddl->diag, ERR_DUPLICATE_SCHEMA, "schema \"%s\" already exists", to);
    }
    TRY(catalog_name_remove(
        ddl->task, context->store, context->txn, CATALOG_NAME_SCHEMA, parent, from, ddl->diag));
    entry.name = to;
    TRY(catalog_schema_put(ddl->task, context->store, context->txn, &entry, ddl->diag));
    return ddl__changed(ddl);
}

/* ---- RENAME
 * ---------------------------------------------------------------------------------------- */

enum err
ddl__lock_index(struct ddl *ddl, const struct ast_table *name, const struct relation **table,
    const struct index **index)
{
    oid_t locked = 0;
    for (;;) {
        TRY(ddl__refresh(ddl));
        *index = catalog_index_on(
            ddl->catalog, ddl->context->env->search_path, name->schema, name->name, table);
        if (*index == NULL || (*table)->oid == locked) {
            return ERR_OK;
        }
        TRY(txn_lock_table(ddl->task, ddl->context->txn, (*table)->oid, (*table)->name,
            TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
        locked = (*table)->oid;
    }
}

enum err
ddl__rename(struct ddl *ddl, const struct ast_rename *statement)
{
    const struct relation *table;
    const struct index *index;
    switch (statement->object) {
    case AST_OBJECT_ROLE:
        return ddl__rename_role(ddl, statement->table->name, statement->new_name);
    case AST_OBJECT_DATABASE:
        return ddl__rename_database(ddl, statement->table->name, statement->new_name);
    case AST_OBJECT_SCHEMA:
        return rename_schema(ddl, statement->table->name, statement->new_name);
    case AST_OBJECT_TYPE:
        return ddl__rename_type(ddl, statement->table, false, statement->new_name);
    case AST_OBJECT_DOMAIN:
        return statement->old_name == NULL
                   ? ddl__rename_type(ddl, statement->table, true, statement->new_name)
                   : ddl__rename_domain_constraint(
                         ddl, statement->table, statement->old_name, statement->new_name);
    case AST_OBJECT_INDEX:
    case AST_OBJECT_TABLE:
    case AST_OBJECT_SEQUENCE:
    case AST_OBJECT_MATERIALIZED_VIEW:
    case AST_OBJECT_VIEW:
        TRY(ddl__lock_index(ddl, statement->table, &table, &index));
        if (index != NULL) {
            TRY(ddl__check_owner(ddl, table->owner, "index", index->name));
            return rename_index(
                ddl, table, (uint16_t)(index - table->indexes), statement->new_name);
        }
        break;
    case AST_OBJECT_COLUMN:
    case AST_OBJECT_CONSTRAINT:
        break;
    default:
        return ddl__unsupported(ddl, "renaming this kind of object", -1);
    }
    TRY(ddl__lock_relation_as(ddl, statement->table, TXN_ACCESS_EXCLUSIVE, statement->if_exists,
        ddl__check_relation_owner, &table));
    if (table == NULL) {
        ddl__notice(
            ddl, ERR_OK, "relation \"%s\" does not exist, skipping", statement->table->name);
        return ERR_OK;
    }
    bool says_materialized =
        statement->object == AST_OBJECT_MATERIALIZED_VIEW || statement->materialized;
    if (says_materialized && !relation_is_materialized(table)) {
        return diag_set(
            ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a materialized view", table->name);
    }
    if (statement->object == AST_OBJECT_COLUMN) {
        return rename_column(ddl, table, statement);
    }
    if (statement->object == AST_OBJECT_CONSTRAINT) {
        return rename_constraint(ddl, table, statement);
    }
    return rename_table(ddl, table, statement->new_name);
}

/* ---- COMMENT
 * --------------------------------------------------------------------------------------- */

struct comment_target {
    oid_t class_oid, oid;
    int32_t sub;
};

static enum err
constraint_target(
    struct ddl *ddl, const struct relation *table, const char *name, struct comment_target *target)
{
    target->class_oid = CATALOG_CLASS_CONSTRAINT;
    for (uint16_t i = 0; i < table->index_count; i++) {
        if (table->indexes[i].constraint && strcmp(table->indexes[i].name, name) == 0) {
            target->oid = table->indexes[i].oid;
            return ERR_OK;
        }
    }
    for (uint16_t i = 0; i < table->check_count; i++) {
        if (strcmp(table->checks[i].name, name) == 0) {
            target->oid = table->checks[i].oid;
            return ERR_OK;
        }
    }
    for (uint16_t i = 0; i < table->foreign_count; i++) {
        if (strcmp(table->foreign[i].name, name) == 0) {
            target->oid = table->foreign[i].oid;
            return ERR_OK;
        }
    }
    return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
        "constraint \"%s\" for table \"%s\" does not exist", name, table->name);
}

static enum err
table_target(struct ddl *ddl, const struct ast_comment *statement, struct comment_target *target)
{
    const struct relation *table;
    TRY(ddl__lock_relation_as(ddl, statement->name, TXN_SHARE_UPDATE_EXCLUSIVE, false,
        ddl__check_relation_owner, &table));
    bool materialized = relation_is_materialized(table);
    if ((statement->object == AST_OBJECT_TABLE &&
            (table->kind != RELATION_TABLE || materialized)) ||
        (statement->object == AST_OBJECT_MATERIALIZED_VIEW && !materialized) ||
        (statement->object == AST_OBJECT_SEQUENCE && table->kind != RELATION_SEQUENCE) ||
        (statement->object == AST_OBJECT_VIEW && table->kind != RELATION_VIEW)) {
        return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a %s", table->name,
            statement->object == AST_OBJECT_VIEW                ? "view"
            : statement->object == AST_OBJECT_MATERIALIZED_VIEW ? "materialized view"
            : statement->object == AST_OBJECT_SEQUENCE          ? "sequence"
                                                                : "table");
    }
    target->class_oid = CATALOG_CLASS_RELATION;
    target->oid = table->oid;
    if (statement->object == AST_OBJECT_CONSTRAINT) {
        return constraint_target(ddl, table, statement->part, target);
    }
    if (statement->object == AST_OBJECT_COLUMN) {
        int column = relation_column(table, statement->part);
        if (column < 0) {
            return diag_set(ddl->diag, ERR_UNDEFINED_COLUMN,
                "column \"%s\" of relation \"%s\" does not exist", statement->part, table->name);
        }
        target->sub = column + 1;
    }
    return ERR_OK;
}

static enum err
named_target(struct ddl *ddl, const struct ast_comment *statement, struct comment_target *target)
{
    const char *name = statement->name->name;
    const struct relation *table;
    const struct index *index;
    const struct database *database;
    switch (statement->object) {
    case AST_OBJECT_INDEX:
        TRY(ddl__lock_index(ddl, statement->name, &table, &index));
        if (index == NULL) {
            return diag_set(ddl->diag, ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", name);
        }
        *target = (struct comment_target){CATALOG_CLASS_RELATION, index->oid, 0};
        return ERR_OK;
    case AST_OBJECT_TYPE:
    case AST_OBJECT_DOMAIN:
        target->class_oid = CATALOG_CLASS_TYPE;
        return ddl__comment_type(ddl, statement->name, &target->oid);
    case AST_OBJECT_SCHEMA:
        *target =
            (struct comment_target){CATALOG_CLASS_SCHEMA, catalog_schema(ddl->catalog, name), 0};
        return target->oid != 0 ? ERR_OK
                                : diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME,
                                      "schema \"%s\" does not exist", name);
    case AST_OBJECT_DATABASE:
        TRY(ddl__find_database(ddl, name, &database));
        *target = (struct comment_target){CATALOG_CLASS_DATABASE, database->oid, 0};
        return ddl__check_owner(ddl, database->owner, "database", name);
    case AST_OBJECT_FUNCTION:
        target->class_oid = CATALOG_CLASS_FUNCTION;
        return ddl__find_function(ddl, statement->routine, statement->routine->kind, &target->oid);
    case AST_OBJECT_ROLE: {
        const struct role *role = catalog_role(ddl->catalog, name);
        if (role == NULL) {
            return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", name);
        }
        *target = (struct comment_target){CATALOG_CLASS_ROLE, role->oid, 0};
        return ERR_OK;
    }
    default:
        return ddl__unsupported(ddl, "a comment on this kind of object", -1);
    }
}

enum err
ddl__comment(struct ddl *ddl, const struct ast_comment *statement)
{
    struct ddl_context *context = ddl->context;
    struct comment_target target = {0};
    bool of_table = statement->object == AST_OBJECT_TABLE || statement->object == AST_OBJECT_VIEW ||
                    statement->object == AST_OBJECT_MATERIALIZED_VIEW ||
                    statement->object == AST_OBJECT_SEQUENCE ||
                    statement->object == AST_OBJECT_COLUMN ||
                    statement->object == AST_OBJECT_CONSTRAINT;
    TRY(of_table ? table_target(ddl, statement, &target) : named_target(ddl, statement, &target));
    /* An empty text is no comment, as in PostgreSQL. */
    const char *text =
        statement->text != NULL && statement->text[0] != '\0' ? statement->text : NULL;
    TRY(catalog_comment_put(ddl->task, context->store, context->txn, target.class_oid, target.oid,
        target.sub, text, ddl->diag));
    return ddl__changed(ddl);
}
