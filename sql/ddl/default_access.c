/*
 * sql/ddl/default_access.c - ALTER DEFAULT PRIVILEGES, and what it gives new objects.
 *
 * An entry is of a role, a kind of object, and a schema or none; its privileges are grants like
 * others, on the entry. One of no schema begins with the usual defaults and stands for them; one of
 * a schema is added to those.
 */
#include "sql/catalog/access.h"
#include "sql/ddl/ddl_internal.h"

static oid_t
own_database(const struct ddl *ddl)
{
    oid_t scope = txn_scope(ddl->context->txn);
    return scope == 0 ? DATABASE_POSTGRES : scope;
}

static enum err
put(struct ddl *ddl, oid_t class_oid, oid_t oid, oid_t grantee, uint32_t privileges,
    uint32_t options, bool remove)
{
    struct ddl_context *context = ddl->context;
    const struct grant grant = {class_oid, oid, grantee, privileges, options};
    return catalog_grant_put(ddl->task, context->store, context->txn, &grant, remove, ddl->diag);
}

/* ---- the statement ----------------------------------------------------------------------------
 */

struct kind {
    char kind; /* pg_default_acl.defaclobjtype */
    oid_t class_oid;
    char relation;
    const char *word;
};

static enum err
kind_of(struct ddl *ddl, const struct ast_alter_default *statement, struct kind *kind)
{
    switch (statement->grant->object) {
    case AST_OBJECT_TABLE:
        *kind = (struct kind){'r', CATALOG_CLASS_RELATION, RELATION_TABLE, "relation"};
        return ERR_OK;
    case AST_OBJECT_SEQUENCE:
        *kind = (struct kind){'S', CATALOG_CLASS_RELATION, RELATION_SEQUENCE, "sequence"};
        return ERR_OK;
    case AST_OBJECT_SCHEMA:
        *kind = (struct kind){'n', CATALOG_CLASS_SCHEMA, 0, "schema"};
        return statement->schemas == NULL
                   ? ERR_OK
                   : diag_set(ddl->diag, ERR_INVALID_GRANT,
                         "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS");
    default:
        return ddl__unsupported(ddl, "default privileges on functions or types", -1);
    }
}

static const struct grant *
grant_of(const struct catalog *catalog, oid_t entry, oid_t grantee)
{
    size_t count = 0;
    const struct grant *grants =
        catalog_grants(catalog, CATALOG_CLASS_DEFAULT_ACCESS, entry, &count);
    for (size_t i = 0; i < count; i++) {
        if (grants[i].grantee == grantee) {
            return &grants[i];
        }
    }
    return NULL;
}

/* Does the entry say nothing more than is so without it? */
static bool
is_idle(struct ddl *ddl, const struct default_access *entry, const struct kind *kind)
{
    size_t count = 0;
    const struct grant *grants =
        catalog_grants(ddl->catalog, CATALOG_CLASS_DEFAULT_ACCESS, entry->oid, &count);
    uint32_t all = catalog_all_privileges(kind->class_oid, kind->relation);
    for (size_t i = 0; i < count; i++) {
        bool owner = entry->schema == 0 && grants[i].grantee == entry->role;
        if (grants[i].privileges != (owner ? all : 0) || grants[i].options != 0) {
            return false;
        }
    }
    return true;
}

static enum err
change(struct ddl *ddl, const struct ast_grant *statement, oid_t entry, oid_t role, uint32_t which)
{
    AST_FOREACH(at, statement->grantees)
    {
        const char *name = ast_as_name(*at)->text;
        const struct role *to = NULL;
        if (strcmp(name, "public") != 0) {
            TRY(ddl__find_role(ddl, name, &to));
        } else if (statement->grant_option && !statement->revoke) {
            return diag_set(
                ddl->diag, ERR_INVALID_GRANT, "grant options can only be granted to roles");
        }
        oid_t grantee = to == NULL ? ROLE_PUBLIC : to->oid;
        const struct grant *has = grant_of(ddl->catalog, entry, grantee);
        uint32_t privileges = has == NULL ? 0 : has->privileges;
        uint32_t options = has == NULL ? 0 : has->options;
        if (!statement->revoke) {
            privileges |= which;
            options |= statement->grant_option ? which : 0;
        } else {
            options &= ~which;
            privileges &= statement->grant_option ? UINT32_MAX : ~which;
        }
        TRY(put(ddl, CATALOG_CLASS_DEFAULT_ACCESS, entry, grantee, privileges, options,
            privileges == 0 && grantee != role));
        TRY(ddl__changed(ddl));
    }
    return ERR_OK;
}

static enum err
alter_one(struct ddl *ddl, const struct ast_alter_default *statement, const struct kind *kind,
    oid_t role, oid_t schema)
{
    struct ddl_context *context = ddl->context;
    uint32_t all = catalog_all_privileges(kind->class_oid, kind->relation);
    uint32_t which;
    TRY(ddl__read_privileges(ddl, statement->grant->privileges, all, kind->word, &which));
    const struct default_access *found =
        catalog_default_access(ddl->catalog, own_database(ddl), role, schema, kind->kind);
    struct default_access entry = {
        .database = own_database(ddl), .role = role, .schema = schema, .kind = kind->kind};
    if (found != NULL) {
        entry = *found;
    } else {
        TRY(catalog_new_oid(ddl->task, context->store, &entry.oid, ddl->diag));
        TRY(catalog_default_access_put(
            ddl->task, context->store, context->txn, &entry, false, ddl->diag));
        TRY(schema != 0 ? ERR_OK
                        : put(ddl, CATALOG_CLASS_DEFAULT_ACCESS, entry.oid, role, all, 0, false));
        TRY(ddl__changed(ddl));
    }
    TRY(change(ddl, statement->grant, entry.oid, schema == 0 ? role : 0, which));
    if (is_idle(ddl, &entry, kind)) {
        TRY(catalog_default_access_put(
            ddl->task, context->store, context->txn, &entry, true, ddl->diag));
        return ddl__changed(ddl);
    }
    return ERR_OK;
}

static enum err
alter_role(struct ddl *ddl, const struct ast_alter_default *statement, const struct kind *kind,
    const char *name)
{
    oid_t role = ddl->context->owner;
    TRY(name == NULL ? ERR_OK : ddl__new_owner(ddl, name, &role));
    if (statement->schemas == NULL) {
        return alter_one(ddl, statement, kind, role, 0);
    }
    AST_FOREACH(at, statement->schemas)
    {
        const char *schema = ast_as_name(*at)->text;
        oid_t oid = catalog_schema(ddl->catalog, schema);
        if (oid == 0) {
            return diag_set(
                ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", schema);
        }
        TRY(alter_one(ddl, statement, kind, role, oid));
    }
    return ERR_OK;
}

enum err
ddl__alter_default(struct ddl *ddl, const struct ast_alter_default *statement)
{
    struct kind kind;
    TRY(kind_of(ddl, statement, &kind));
    if (statement->roles == NULL) {
        return alter_role(ddl, statement, &kind, NULL);
    }
    AST_FOREACH(at, statement->roles)
    {
        TRY(alter_role(ddl, statement, &kind, ast_as_name(*at)->text));
    }
    return ERR_OK;
}

/* ---- new objects ------------------------------------------------------------------------------
 */

/* Those of the entry, and what `other` has for the same grantees. */
static enum err
give(struct ddl *ddl, oid_t class_oid, oid_t oid, const struct default_access *from,
    const struct default_access *other)
{
    size_t count = 0;
    const struct grant *grants =
        from == NULL
            ? NULL
            : catalog_grants(ddl->catalog, CATALOG_CLASS_DEFAULT_ACCESS, from->oid, &count);
    for (size_t i = 0; i < count; i++) {
        const struct grant *more =
            other == NULL ? NULL : grant_of(ddl->catalog, other->oid, grants[i].grantee);
        TRY(put(ddl, class_oid, oid, grants[i].grantee,
            grants[i].privileges | (more == NULL ? 0 : more->privileges),
            grants[i].options | (more == NULL ? 0 : more->options), false));
    }
    return ERR_OK;
}

enum err
ddl__default_grants(struct ddl *ddl, enum catalog_class_oid class_oid, oid_t oid, oid_t owner,
    oid_t schema, char kind)
{
    const struct catalog *catalog = ddl->catalog;
    const struct default_access *wide =
        catalog_default_access(catalog, own_database(ddl), owner, 0, kind);
    const struct default_access *local =
        schema == 0 ? NULL
                    : catalog_default_access(catalog, own_database(ddl), owner, schema, kind);
    if (wide == NULL && local == NULL) {
        return ERR_OK;
    }
    if (wide == NULL) { /* the usual: all to its owner, nothing to others */
        char relation = kind == 'S' ? RELATION_SEQUENCE : RELATION_TABLE;
        TRY(put(ddl, class_oid, oid, owner, catalog_all_privileges(class_oid, relation), 0, false));
    }
    TRY(give(ddl, class_oid, oid, wide, local));
    size_t count = 0;
    const struct grant *grants =
        local == NULL ? NULL
                      : catalog_grants(catalog, CATALOG_CLASS_DEFAULT_ACCESS, local->oid, &count);
    for (size_t i = 0; i < count; i++) {
        bool given = wide == NULL ? grants[i].grantee == owner
                                  : grant_of(catalog, wide->oid, grants[i].grantee) != NULL;
        TRY(given ? ERR_OK
                  : put(ddl, class_oid, oid, grants[i].grantee, grants[i].privileges,
                        grants[i].options, false));
    }
    return ERR_OK;
}

enum err
ddl__forget_defaults_in(struct ddl *ddl, oid_t schema)
{
    struct ddl_context *context = ddl->context;
    const struct default_access *access;
    for (size_t i = 0; (access = catalog_default_access_at(ddl->catalog, i)) != NULL; i++) {
        if (access->schema == schema) {
            TRY(catalog_default_access_put(
                ddl->task, context->store, context->txn, access, true, ddl->diag));
        }
    }
    return ERR_OK;
}
