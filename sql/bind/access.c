/*
 * sql/bind/access.c - may the session do what the statement says?
 *
 * Binding notes what is asked of which relation in whose name (a view's query asks in its owner's);
 * at the end all of it is looked up in the picture. A plan is as good as its picture and its user:
 * both are part of what a cached plan is known by, so running one asks nothing.
 */
#include "sql/catalog/access.h"
#include "sql/bind/bind.h"

struct need {
    const struct relation *relation;
    oid_t role; /* 0: the session's */
    uint32_t privileges;
};

void
bind_need(struct binder *binder, const struct relation *relation, uint32_t privileges)
{
    for (uint32_t i = 0; i < binder->needs.count; i++) {
        struct need *have = binder->needs.items[i];
        if (have->relation == relation && have->role == binder->role) {
            have->privileges |= privileges;
            return;
        }
    }
    struct need *need = arena_alloc(binder->arena, sizeof *need);
    *need = (struct need){relation, binder->role, privileges};
    vec_add(binder->arena, &binder->needs, need);
}

static oid_t
schema_owner(const struct catalog *catalog, oid_t schema)
{
    struct catalog_entry entry;
    for (size_t i = 0; catalog_schema_at(catalog, i, &entry); i++) {
        if (entry.oid == schema) {
            return entry.owner;
        }
    }
    return ROLE_SUPERUSER_FIRST;
}

enum err
bind_check_access(struct binder *binder)
{
    const struct catalog *catalog = binder->context->catalog;
    const struct eval_env *env = binder->context->env;
    if (binder->needs.count == 0 || catalog == NULL || env == NULL || env->user == NULL) {
        return ERR_OK;
    }
    const struct role *session = catalog_role(catalog, env->user);
    for (uint32_t i = 0; i < binder->needs.count; i++) {
        const struct need *need = binder->needs.items[i];
        const struct relation *relation = need->relation;
        oid_t role = need->role != 0 ? need->role : session == NULL ? 0 : session->oid;
        if (need->role == 0 && session != NULL && session->superuser) {
            continue;
        }
        if (relation->kind != RELATION_VIRTUAL &&
            catalog_privileges(catalog, role, CATALOG_CLASS_SCHEMA_OID, relation->schema,
                schema_owner(catalog, relation->schema), PRIVILEGE_USAGE, false) == 0) {
            return diag_set(binder->diag, ERR_INSUFFICIENT_PRIVILEGE,
                "permission denied for schema %s", relation->schema_name);
        }
        uint32_t has = catalog_relation_privileges(catalog, role, relation, need->privileges);
        if (has != need->privileges) {
            bool view =
                relation->kind == RELATION_VIEW ||
                (relation->kind == RELATION_VIRTUAL && relation->virtual_table->kind == 'v');
            return diag_set(binder->diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied for %s %s",
                view                                  ? "view"
                : relation->kind == RELATION_SEQUENCE ? "sequence"
                                                      : "table",
                relation->name);
        }
    }
    return ERR_OK;
}
