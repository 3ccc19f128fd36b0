/*
 * sql/ddl/owned.c - DROP OWNED and REASSIGN OWNED: all that some roles have in this database.
 */
#include <stdio.h>

#include "parser/parser.h"
#include "sql/catalog/access.h"
#include "sql/ddl/ddl_internal.h"

struct owned {
    struct ddl *ddl;
    oid_t *roles;
    uint32_t count;
};

static bool
is_owner(const struct owned *owned, oid_t role)
{
    for (uint32_t i = 0; i < owned->count; i++) {
        if (owned->roles[i] == role) {
            return true;
        }
    }
    return false;
}

static enum err
denied(struct ddl *ddl, bool reassign)
{
    return diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied to %s objects",
        reassign ? "reassign" : "drop");
}

static enum err
find_roles(struct owned *owned, const struct ast_list *names, bool reassign)
{
    struct ddl *ddl = owned->ddl;
    owned->roles = arena_array(ddl->arena, (size_t)ast_list_count(names) + 1, sizeof(oid_t));
    AST_FOREACH(at, names)
    {
        const struct role *role;
        TRY(ddl__find_role(ddl, ast_as_name(*at)->text, &role));
        if (!catalog_role_is(ddl->catalog, ddl->context->owner, role->oid, true)) {
            return denied(ddl, reassign);
        }
        if (role->oid == ROLE_SUPERUSER_FIRST) {
            return diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
                "cannot %s objects owned by role %s because they are required by the database "
                "system",
                reassign ? "reassign ownership of" : "drop", role->name);
        }
        owned->roles[owned->count++] = role->oid;
    }
    return ERR_OK;
}

/* ---- DROP -------------------------------------------------------------------------------------
 */

/* "DROP TABLE a.b, c.d CASCADE", or nothing if the list is empty. */
static enum err
drop_list(struct ddl *ddl, const char *what, struct buffer *names, bool cascade)
{
    enum err err = ERR_OK;
    if (names->size > 0) {
        buffer_add_u8(names, 0);
        char *text = arena_printf(
            ddl->arena, "DROP %s %s%s", what, (char *)names->data, cascade ? " CASCADE" : "");
        struct ast_list *list = NULL;
        err = parser_parse(ddl->arena, text, strlen(text), &list, ddl->diag);
        const struct ast_node *node =
            err == ERR_OK ? ast_as_statement(ast_list_at(list, 0))->body : NULL;
        if (node != NULL) {
            err = node->kind == AST_DROP_FUNCTION
                      ? ddl__drop_functions(ddl, ast_as_drop_function(node))
                      : ddl__drop(ddl, ast_as_drop(node));
        }
    }
    buffer_destroy(names);
    return err;
}

static void
add_name(struct ddl *ddl, struct buffer *names, const char *schema, const char *name)
{
    if (names->size > 0) {
        buffer_add_text(names, ", ");
    }
    if (schema != NULL) {
        buffer_add_text(names, parser_quote_ident(ddl->arena, schema));
        buffer_add_u8(names, '.');
    }
    buffer_add_text(names, parser_quote_ident(ddl->arena, name));
}

static enum err
drop_relations(const struct owned *owned, char kind, const char *what, bool cascade)
{
    struct ddl *ddl = owned->ddl;
    struct buffer names = {0};
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        bool of_table = kind == RELATION_SEQUENCE && relation->kind == kind &&
                        relation->sequence->owner_table != 0;
        if (relation->kind == kind && is_owner(owned, relation->owner) && !of_table) {
            add_name(ddl, &names, relation->schema_name, relation->name);
        }
    }
    return drop_list(ddl, what, &names, cascade);
}

static enum err
drop_functions(const struct owned *owned, bool cascade)
{
    struct ddl *ddl = owned->ddl;
    struct buffer names = {0};
    const struct user_function *function;
    for (size_t i = 0; (function = catalog_function_at(ddl->catalog, i)) != NULL; i++) {
        if (is_owner(owned, function->owner)) { /* shown as name(type,type) */
            add_name(ddl, &names, function->schema_name, function->name);
            buffer_add_text(&names, ddl__function_shown(ddl, function) + strlen(function->name));
        }
    }
    return drop_list(ddl, "ROUTINE", &names, cascade);
}

static enum err
drop_types(const struct owned *owned, bool cascade)
{
    struct ddl *ddl = owned->ddl;
    struct buffer names = {0};
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(ddl->catalog, i)) != NULL; i++) {
        if (is_owner(owned, type->owner)) {
            add_name(ddl, &names, type->schema_name, type->name);
        }
    }
    return drop_list(ddl, "TYPE", &names, cascade);
}

static enum err
drop_schemas(const struct owned *owned, bool cascade)
{
    struct ddl *ddl = owned->ddl;
    struct buffer names = {0};
    struct catalog_entry schema;
    for (size_t i = 0; catalog_schema_at(ddl->catalog, i, &schema); i++) {
        if (schema.database != 0 && is_owner(owned, schema.owner)) {
            add_name(ddl, &names, NULL, schema.name);
        }
    }
    return drop_list(ddl, "SCHEMA", &names, cascade);
}

/* Is the object of a grant one of this database, or one that databases share? *owner: whose. */
static bool
is_near(struct ddl *ddl, const struct grant *grant, oid_t *owner)
{
    const struct catalog *catalog = ddl->catalog;
    const struct relation *relation;
    const struct database *database;
    struct catalog_entry schema;
    switch (grant->class_oid) {
    case CATALOG_CLASS_RELATION:
        relation = catalog_relation_by_oid(catalog, grant->object);
        *owner = relation == NULL ? 0 : relation->owner;
        return relation != NULL;
    case CATALOG_CLASS_SCHEMA:
        if (!catalog_schema_by_oid(catalog, grant->object, &schema)) {
            return false;
        }
        *owner = schema.owner;
        return true;
    case CATALOG_CLASS_DATABASE:
        database = catalog_database_by_oid(catalog, grant->object);
        *owner = database == NULL ? 0 : database->owner;
        return database != NULL;
    case CATALOG_CLASS_DEFAULT_ACCESS:
        *owner = 0;
        return true;
    default:
        return false; /* memberships stay */
    }
}

/* What the roles were granted, and what they had set for objects to come. */
static enum err
drop_grants(const struct owned *owned)
{
    struct ddl *ddl = owned->ddl;
    struct ddl_context *context = ddl->context;
    const struct grant *grant;
    const struct default_access *access;
    for (size_t i = 0; (access = catalog_default_access_at(ddl->catalog, i)) != NULL; i++) {
        if (is_owner(owned, access->role) && access->database == txn_scope(context->txn)) {
            TRY(catalog_default_access_put(
                ddl->task, context->store, context->txn, access, true, ddl->diag));
        }
    }
    for (size_t i = 0; (grant = catalog_grant_at(ddl->catalog, i)) != NULL; i++) {
        oid_t owner = 0;
        if (is_owner(owned, grant->grantee) && is_near(ddl, grant, &owner) &&
            owner != grant->grantee) {
            TRY(catalog_grant_put(ddl->task, context->store, context->txn, grant, true, ddl->diag));
        }
    }
    return ddl__changed(ddl);
}

static enum err
drop_all(const struct owned *owned, bool cascade)
{
    TRY(drop_relations(owned, RELATION_VIEW, "VIEW", cascade));
    TRY(drop_relations(owned, RELATION_TABLE, "TABLE", cascade));
    TRY(drop_relations(owned, RELATION_SEQUENCE, "SEQUENCE", cascade));
    TRY(drop_functions(owned, cascade));
    TRY(drop_types(owned, cascade));
    TRY(drop_schemas(owned, cascade));
    return drop_grants(owned);
}

/* ---- REASSIGN ---------------------------------------------------------------------------------
 */

static bool
gives(const struct owned *owned, oid_t owner, oid_t to)
{
    return owner != to && is_owner(owned, owner);
}

static enum err
give_relations(const struct owned *owned, oid_t to)
{
    struct ddl *ddl = owned->ddl;
    struct ddl_context *context = ddl->context;
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        if (relation->kind == RELATION_VIRTUAL || !gives(owned, relation->owner, to)) {
            continue;
        }
        oid_t oid = relation->oid;
        TRY(txn_lock_table(ddl->task, context->txn, oid, relation->name, TXN_ACCESS_EXCLUSIVE,
            TXN_WAIT, ddl->diag));
        TRY(ddl__refresh(ddl));
        relation = catalog_relation_by_oid(ddl->catalog, oid);
        if (relation != NULL && gives(owned, relation->owner, to)) {
            struct relation changed = *relation;
            changed.owner = to;
            TRY(ddl__grants_follow_owner(ddl, CATALOG_CLASS_RELATION, oid, to));
            TRY(catalog_relation_put(ddl->task, context->store, context->txn, &changed, ddl->diag));
            TRY(ddl__changed(ddl));
        }
        i = SIZE_MAX; /* in another picture, from its beginning: this one is not theirs any more */
    }
    return ERR_OK;
}

static enum err
give_types_and_functions(const struct owned *owned, oid_t to)
{
    struct ddl *ddl = owned->ddl;
    struct ddl_context *context = ddl->context;
    const struct catalog *catalog = ddl->catalog; /* the rows are locked by being written */
    const struct user_type *type;
    const struct user_function *function;
    for (size_t i = 0; (type = catalog_type_at(catalog, i)) != NULL; i++) {
        if (gives(owned, type->owner, to)) {
            struct user_type changed = *type;
            changed.owner = to;
            TRY(catalog_type_put(ddl->task, context->store, context->txn, &changed, ddl->diag));
        }
    }
    for (size_t i = 0; (function = catalog_function_at(catalog, i)) != NULL; i++) {
        if (gives(owned, function->owner, to)) {
            struct user_function changed = *function;
            changed.owner = to;
            TRY(catalog_function_put(ddl->task, context->store, context->txn, &changed, ddl->diag));
        }
    }
    return ddl__changed(ddl);
}

static enum err
give_schemas_and_databases(const struct owned *owned, oid_t to, const char *name)
{
    struct ddl *ddl = owned->ddl;
    struct catalog_entry schema;
    const struct database *database;
    for (size_t i = 0; catalog_schema_at(ddl->catalog, i, &schema); i++) {
        if (schema.database != 0 && gives(owned, schema.owner, to)) {
            TRY(ddl__give_schema(ddl, schema.oid, to));
        }
    }
    for (size_t i = 0; (database = catalog_database_at(ddl->catalog, i)) != NULL; i++) {
        if (gives(owned, database->owner, to)) {
            TRY(ddl__give_database(ddl, arena_strdup(ddl->arena, database->name), name));
        }
    }
    return ERR_OK;
}

enum err
ddl__owned(struct ddl *ddl, const struct ast_owned *statement)
{
    struct owned owned = {.ddl = ddl};
    if (statement->to == NULL) {
        TRY(find_roles(&owned, statement->roles, false));
        enum err err = drop_all(&owned, statement->cascade);
        if (err == ERR_DEPENDENT_OBJECTS) { /* which one, says DETAIL */
            (void)snprintf(ddl->diag->message, sizeof ddl->diag->message,
                "cannot drop desired object(s) because other objects depend on them");
        }
        return err;
    }
    oid_t to = 0;
    TRY(find_roles(&owned, statement->roles, true));
    const struct role *role;
    TRY(ddl__find_role(ddl, statement->to, &role));
    to = role->oid;
    if (!catalog_role_is(ddl->catalog, ddl->context->owner, to, true)) {
        return denied(ddl, true);
    }
    TRY(give_relations(&owned, to));
    TRY(give_types_and_functions(&owned, to));
    return give_schemas_and_databases(&owned, to, statement->to);
}
