/* sql/ddl/ddl.c - the door of DDL, and what its statements share: pictures, locks, words. */
#include "sql/ddl/ddl_internal.h"

#include <stdio.h>

#include "base/assert.h"

/* ---- pictures
 * ------------------------------------------------------------------------------------ */

enum err
ddl__refresh(struct ddl *ddl)
{
    struct ddl_context *context = ddl->context;
    if (ddl->catalog != NULL && catalog_is_current(ddl->catalog, context->store, context->txn)) {
        return ERR_OK;
    }
    struct catalog *catalog = NULL;
    TRY(catalog_get(ddl->task, context->store, context->txn, &catalog, ddl->diag));
    struct ddl__held *held = arena_alloc(ddl->arena, sizeof *held);
    *held = (struct ddl__held){.older = ddl->held, .catalog = catalog};
    ddl->held = held;
    ddl->catalog = catalog;
    context->env->catalog = catalog;
    return ERR_OK;
}

enum err
ddl__changed(struct ddl *ddl)
{
    catalog_invalidate(ddl->context->store, ddl->context->txn);
    return ddl__refresh(ddl);
}

/* ---- words
 * --------------------------------------------------------------------------------------- */

void
ddl__notice(struct ddl *ddl, enum err code, const char *fmt, ...)
{
    struct ddl_context *context = ddl->context;
    if (context->notice == NULL) {
        return;
    }
    char message[DIAG_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    context->notice(context->notice_arg, err_sqlstate(code), message);
}

enum err
ddl__at(struct ddl *ddl, enum err err, int32_t location)
{
    if (err != ERR_OK && location >= 0) {
        diag_position(
            ddl->diag, parser_position(ddl->context->text, ddl->context->text_size, location));
    }
    return err;
}

enum err
ddl__unsupported(struct ddl *ddl, const char *what, int32_t location)
{
    enum err err = diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "%s is not supported", what);
    return ddl__at(ddl, err, location);
}

enum err
ddl__routers_statement(struct ddl *ddl, const char *what)
{
    (void)diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "%s is a statement for the router", what);
    diag_hint(ddl->diag, "Connect to tusk-router; this is a single server.");
    return ERR_FEATURE_NOT_SUPPORTED;
}

/* ---- names to relations
 * -------------------------------------------------------------------------- */

static enum err
check_database(struct ddl *ddl, const struct ast_table *name)
{
    return ddl__at(
        ddl, catalog_check_database(ddl->context->env, name, ddl->diag), name->node.location);
}

enum err
ddl__creation_schema(
    struct ddl *ddl, const struct ast_table *name, oid_t *schema, const char **schema_name)
{
    struct ddl_context *context = ddl->context;
    TRY(check_database(ddl, name));
    oid_t locked = 0;
    for (;;) {
        TRY(ddl__refresh(ddl));
        *schema_name = name->schema != NULL
                           ? name->schema
                           : catalog_creation_schema(ddl->catalog, context->env->search_path);
        *schema = *schema_name == NULL ? 0 : catalog_schema(ddl->catalog, *schema_name);
        if (*schema == 0) {
            enum err err = name->schema != NULL ? diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME,
                                                      "schema \"%s\" does not exist", *schema_name)
                                                : diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME,
                                                      "no schema has been selected to create in");
            return ddl__at(ddl, err, name->node.location);
        }
        if (*schema == NAMESPACE_PG_CATALOG || *schema == NAMESPACE_INFORMATION_SCHEMA) {
            enum err err = diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE,
                "permission denied to create \"%s.%s\"", *schema_name, name->name);
            diag_detail(ddl->diag, "System catalog modifications are currently disallowed.");
            return err;
        }
        if (*schema == locked) {
            return ddl__check_schema_create(ddl, *schema, *schema_name);
        }
        TRY(txn_lock_table(
            ddl->task, context->txn, *schema, *schema_name, TXN_ACCESS_SHARE, TXN_WAIT, ddl->diag));
        locked = *schema;
    }
}

static enum err
temporary_schema(struct ddl *ddl, oid_t *schema, const char **schema_name)
{
    struct ddl_context *context = ddl->context;
    *schema_name = catalog_temporary_schema(context->env->search_path);
    if (*schema_name == NULL) {
        return ddl__unsupported(ddl, "a temporary object outside of a session", -1);
    }
    *schema = catalog_schema(ddl->catalog, *schema_name);
    if (*schema != 0) {
        return ERR_OK;
    }
    bool taken;
    TRY(ddl__make_schema(
        ddl, txn_scope(context->txn), *schema_name, context->owner, schema, &taken));
    ASSERT(!taken); /* nobody else has this name */
    return ddl__changed(ddl);
}

enum err
ddl__placement(struct ddl *ddl, const struct ast_table *name, bool temporary, oid_t *schema,
    const char **schema_name)
{
    const char *own = catalog_temporary_schema(ddl->context->env->search_path);
    bool named = name->schema != NULL && (strcmp(name->schema, "pg_temp") == 0 ||
                                             (own != NULL && strcmp(name->schema, own) == 0));
    if (temporary && name->schema != NULL && !named) {
        enum err err = diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
            "cannot create temporary relation in non-temporary schema");
        return ddl__at(ddl, err, name->node.location);
    }
    if (temporary || named) {
        return temporary_schema(ddl, schema, schema_name);
    }
    if (name->schema != NULL && catalog_is_temporary(name->schema)) {
        enum err err = diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
            "cannot create relations in temporary schemas of other sessions");
        return ddl__at(ddl, err, name->node.location);
    }
    return ddl__creation_schema(ddl, name, schema, schema_name);
}

void
ddl__in_schema(struct ddl *ddl, const char *schema, const char *name,
    const struct relation **relation, const struct index **index)
{
    const char *const *path = ddl->context->env->search_path;
    *index = catalog_index_on(ddl->catalog, path, schema, name, relation);
    if (*index == NULL) {
        *relation = catalog_relation_on(ddl->catalog, path, schema, name);
    }
}

static enum err
undefined_table(struct ddl *ddl, const struct ast_table *name)
{
    enum err err =
        name->schema == NULL
            ? diag_set(ddl->diag, ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", name->name)
            : diag_set(ddl->diag, ERR_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist",
                  name->schema, name->name);
    return err;
}

enum err
ddl__lock_relation(struct ddl *ddl, const struct ast_table *name, enum txn_table_lock mode,
    bool missing_ok, const struct relation **relation)
{
    return ddl__lock_relation_as(ddl, name, mode, missing_ok, NULL, relation);
}

enum err
ddl__lock_relation_as(struct ddl *ddl, const struct ast_table *name, enum txn_table_lock mode,
    bool missing_ok, ddl__right *check, const struct relation **relation)
{
    struct ddl_context *context = ddl->context;
    *relation = NULL;
    TRY(check_database(ddl, name));
    oid_t locked = 0;
    for (;;) {
        TRY(ddl__refresh(ddl));
        const struct relation *found;
        const struct index *index;
        ddl__in_schema(ddl, name->schema, name->name, &found, &index);
        if (found == NULL) {
            return missing_ok ? ERR_OK : undefined_table(ddl, name);
        }
        if (index != NULL) {
            return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a table", name->name);
        }
        if (found->kind == RELATION_VIRTUAL) {
            return diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE,
                "permission denied: \"%s\" is a system catalog", found->name);
        }
        TRY(check == NULL ? ERR_OK : check(ddl, found));
        if (found->oid == locked) {
            *relation = found;
            return ERR_OK;
        }
        TRY(txn_lock_table(
            ddl->task, context->txn, found->oid, found->name, mode, TXN_WAIT, ddl->diag));
        locked = found->oid; /* once more: it may have changed or gone while we waited (D1) */
    }
}

enum err
ddl__find_again(struct ddl *ddl, oid_t oid, const struct relation **relation)
{
    TRY(ddl__refresh(ddl));
    *relation = catalog_relation_by_oid(ddl->catalog, oid);
    if (*relation == NULL) {
        return diag_set(ddl->diag, ERR_UNDEFINED_TABLE, "relation with OID %u does not exist", oid);
    }
    return ERR_OK;
}

/* ---- the door
 * ------------------------------------------------------------------------------------ */

static const char *
drop_tag(const struct ast_drop *statement)
{
    switch (statement->object) {
    case AST_OBJECT_TABLE:
        return "DROP TABLE";
    case AST_OBJECT_INDEX:
        return "DROP INDEX";
    case AST_OBJECT_VIEW:
        return "DROP VIEW";
    case AST_OBJECT_MATERIALIZED_VIEW:
        return "DROP MATERIALIZED VIEW";
    case AST_OBJECT_SEQUENCE:
        return "DROP SEQUENCE";
    case AST_OBJECT_SCHEMA:
        return "DROP SCHEMA";
    case AST_OBJECT_TYPE:
        return "DROP TYPE";
    case AST_OBJECT_DOMAIN:
        return "DROP DOMAIN";
    case AST_OBJECT_DATABASE:
        return "DROP DATABASE";
    case AST_OBJECT_ROLE:
        return "DROP ROLE";
    case AST_OBJECT_EXTENSION:
        return "DROP EXTENSION";
    case AST_OBJECT_FUNCTION:
        return "DROP FUNCTION";
    default:
        return "DROP";
    }
}

static const char *
alter_tag(enum ast_object object)
{
    switch (object) {
    case AST_OBJECT_INDEX:
        return "ALTER INDEX";
    case AST_OBJECT_VIEW:
        return "ALTER VIEW";
    case AST_OBJECT_MATERIALIZED_VIEW:
        return "ALTER MATERIALIZED VIEW";
    case AST_OBJECT_SEQUENCE:
        return "ALTER SEQUENCE";
    case AST_OBJECT_SCHEMA:
        return "ALTER SCHEMA";
    case AST_OBJECT_TYPE:
        return "ALTER TYPE";
    case AST_OBJECT_DOMAIN:
        return "ALTER DOMAIN";
    case AST_OBJECT_DATABASE:
        return "ALTER DATABASE";
    case AST_OBJECT_ROLE:
        return "ALTER ROLE";
    default:
        return "ALTER TABLE";
    }
}

/* The tag of a statement that belongs here, else NULL. */
static const char *
tag_of(const struct ast_node *node)
{
    switch (node->kind) {
    case AST_CREATE_TABLE:
        return "CREATE TABLE";
    case AST_CREATE_INDEX:
        return "CREATE INDEX";
    case AST_CREATE_SCHEMA:
        return "CREATE SCHEMA";
    case AST_CREATE_VIEW:
        return "CREATE VIEW";
    case AST_CREATE_SEQUENCE:
        return "CREATE SEQUENCE";
    case AST_CREATE_DATABASE:
        return "CREATE DATABASE";
    case AST_CREATE_ROLE:
        return "CREATE ROLE";
    case AST_CREATE_ENUM:
        return "CREATE TYPE";
    case AST_ALTER_ENUM:
        return "ALTER TYPE";
    case AST_CREATE_DOMAIN:
        return "CREATE DOMAIN";
    case AST_ALTER_SEQUENCE:
        return "ALTER SEQUENCE";
    case AST_ALTER_CLUSTER:
        return "ALTER CLUSTER";
    case AST_ALTER_ROLE:
        return "ALTER ROLE";
    case AST_ALTER_DATABASE:
        return "ALTER DATABASE";
    case AST_DROP:
        return drop_tag(ast_as_drop(node));
    case AST_TRUNCATE:
        return "TRUNCATE TABLE";
    case AST_ALTER_TABLE:
        return alter_tag(ast_as_alter_table(node)->object);
    case AST_RENAME:
        return alter_tag(ast_as_rename(node)->object);
    case AST_REINDEX:
        return "REINDEX";
    case AST_REFRESH:
        return "REFRESH MATERIALIZED VIEW";
    case AST_CREATE_FUNCTION:
        return ast_as_create_function(node)->kind == 'p' ? "CREATE PROCEDURE" : "CREATE FUNCTION";
    case AST_DROP_FUNCTION:
        return ast_as_drop_function(node)->kind == 'p'   ? "DROP PROCEDURE"
               : ast_as_drop_function(node)->kind == 'r' ? "DROP ROUTINE"
                                                         : "DROP FUNCTION";
    case AST_ALTER_FUNCTION:
        return ast_as_alter_function(node)->kind == 'p'   ? "ALTER PROCEDURE"
               : ast_as_alter_function(node)->kind == 'r' ? "ALTER ROUTINE"
                                                          : "ALTER FUNCTION";
    case AST_COMMENT:
        return "COMMENT";
    case AST_OWNED:
        return ast_as_owned(node)->to == NULL ? "DROP OWNED" : "REASSIGN OWNED";
    case AST_ALTER_DEFAULT:
        return "ALTER DEFAULT PRIVILEGES";
    case AST_GRANT:
        return ast_as_grant(node)->role
                   ? (ast_as_grant(node)->revoke ? "REVOKE ROLE" : "GRANT ROLE")
               : ast_as_grant(node)->revoke ? "REVOKE"
                                            : "GRANT";
    default:
        return NULL;
    }
}

bool
ddl_handles(const struct ast_node *node)
{
    return tag_of(node) != NULL;
}

static enum err
dispatch(struct ddl *ddl, const struct ast_node *node, const char *tag)
{
    switch (node->kind) {
    case AST_CREATE_TABLE:
        return ddl__create_table(ddl, ast_as_create_table(node));
    case AST_CREATE_INDEX:
        return ddl__create_index(ddl, ast_as_create_index(node));
    case AST_CREATE_VIEW:
        return ddl__create_view(ddl, ast_as_create_view(node));
    case AST_CREATE_DATABASE:
        return ddl__create_database(ddl, ast_as_create_database(node));
    case AST_CREATE_ROLE:
        return ddl__create_role(ddl, ast_as_create_role(node));
    case AST_ALTER_CLUSTER:
        return ddl__routers_statement(ddl, tag);
    case AST_ALTER_ROLE:
        return ddl__alter_role(ddl, ast_as_alter_role(node));
    case AST_ALTER_DATABASE:
        return ddl__alter_database(ddl, ast_as_alter_database(node));
    case AST_GRANT:
        return ddl__grant(ddl, ast_as_grant(node));
    case AST_CREATE_ENUM:
        return ddl__create_enum(ddl, ast_as_create_enum(node));
    case AST_ALTER_ENUM:
        return ddl__alter_enum(ddl, ast_as_alter_enum(node));
    case AST_CREATE_DOMAIN:
        return ddl__create_domain(ddl, ast_as_create_domain(node));
    case AST_CREATE_SCHEMA:
        return ddl__create_schema(ddl, ast_as_create_schema(node));
    case AST_CREATE_SEQUENCE:
        return ddl__create_sequence(ddl, ast_as_create_sequence(node));
    case AST_ALTER_SEQUENCE:
        return ddl__alter_sequence(ddl, ast_as_alter_sequence(node));
    case AST_DROP:
        return ddl__drop(ddl, ast_as_drop(node));
    case AST_TRUNCATE:
        return ddl__truncate(ddl, ast_as_truncate(node));
    case AST_ALTER_TABLE:
        return ddl__alter_table(ddl, ast_as_alter_table(node));
    case AST_RENAME:
        return ddl__rename(ddl, ast_as_rename(node));
    case AST_CREATE_FUNCTION:
        return ddl__create_function(ddl, ast_as_create_function(node));
    case AST_DROP_FUNCTION:
        return ddl__drop_functions(ddl, ast_as_drop_function(node));
    case AST_ALTER_FUNCTION:
        return ddl__alter_function(ddl, ast_as_alter_function(node));
    case AST_REFRESH:
        return ddl__refresh_view(ddl, ast_as_refresh(node));
    case AST_REINDEX:
        return ddl__reindex(ddl, ast_as_reindex(node));
    case AST_OWNED:
        return ddl__owned(ddl, ast_as_owned(node));
    case AST_ALTER_DEFAULT:
        return ddl__alter_default(ddl, ast_as_alter_default(node));
    case AST_COMMENT:
        return ddl__comment(ddl, ast_as_comment(node));
    default:
        return ddl__unsupported(ddl, tag, -1);
    }
}

enum err
ddl_execute(
    struct task *task, struct ddl_context *context, const struct ast_node *node, const char **tag)
{
    ASSERT(txn_state(context->txn) == TXN_ACTIVE);
    *tag = tag_of(node);
    ASSERT(*tag != NULL);
    if (txn_read_only(context->txn)) {
        return diag_set(context->diag, ERR_READ_ONLY_TRANSACTION,
            "cannot execute %s in a read-only transaction", *tag);
    }
    struct ddl ddl = {
        .task = task,
        .context = context,
        .arena = context->arena,
        .diag = context->diag,
    };
    const struct catalog *before = context->env->catalog;
    enum err err = ddl__refresh(&ddl);
    if (err == ERR_OK) {
        err = dispatch(&ddl, node, *tag);
    }
    context->env->catalog = before;
    for (; ddl.held != NULL; ddl.held = ddl.held->older) {
        catalog_release(ddl.held->catalog);
    }
    return err;
}
