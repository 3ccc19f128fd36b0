/* sql/catalog/access.c - privileges and membership in a picture. */
#include "sql/catalog/access.h"

#include <stdio.h>
#include <strings.h>

#include "sql/catalog/catalog_internal.h"

enum {
    MEMBERSHIP_DEPTH_MAX = 64,
};

/* ---- grants ---------------------------------------------------------------------------------- */

const struct grant *
catalog_grant_at(const struct catalog *catalog, size_t position)
{
    return position < catalog->grant_count ? &catalog->grants[position] : NULL;
}

static int
compare_object(const struct grant *grant, oid_t class_oid, oid_t object)
{
    return grant->class_oid != class_oid ? (grant->class_oid > class_oid ? 1 : -1)
                                         : (grant->object > object) - (grant->object < object);
}

/* They were read in the order of their keys: class, object, grantee. */
const struct grant *
catalog_grants(const struct catalog *catalog, oid_t class_oid, oid_t object, size_t *count)
{
    size_t low = 0;
    size_t high = catalog->grant_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_object(&catalog->grants[middle], class_oid, object) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < catalog->grant_count &&
           compare_object(&catalog->grants[end], class_oid, object) == 0) {
        end++;
    }
    *count = end - low;
    return end == low ? NULL : &catalog->grants[low];
}

const struct default_access *
catalog_default_access_at(const struct catalog *catalog, size_t position)
{
    return position < catalog->default_access_count ? &catalog->default_access[position] : NULL;
}

const struct default_access *
catalog_default_access(
    const struct catalog *catalog, oid_t database, oid_t role, oid_t schema, char kind)
{
    for (size_t i = 0; i < catalog->default_access_count; i++) {
        const struct default_access *at = &catalog->default_access[i];
        if (at->database == database && at->role == role && at->schema == schema &&
            at->kind == kind) {
            return at;
        }
    }
    return NULL;
}

uint32_t
catalog_all_privileges(oid_t class_oid, char kind)
{
    switch (class_oid) {
    case CATALOG_CLASS_RELATION:
        return kind == RELATION_SEQUENCE ? PRIVILEGES_SEQUENCE : PRIVILEGES_TABLE;
    case CATALOG_CLASS_SCHEMA:
        return PRIVILEGES_SCHEMA;
    case CATALOG_CLASS_DATABASE:
        return PRIVILEGES_DATABASE;
    default:
        return PRIVILEGE_USAGE;
    }
}

uint32_t
catalog_default_public(oid_t class_oid, oid_t object)
{
    switch (class_oid) {
    case CATALOG_CLASS_SCHEMA:
        return object < OID_FIRST_USER ? PRIVILEGE_USAGE : 0;
    case CATALOG_CLASS_DATABASE:
        return PRIVILEGE_TEMPORARY | PRIVILEGE_CONNECT;
    case CATALOG_CLASS_TYPE:
        return PRIVILEGE_USAGE;
    default:
        return 0;
    }
}

/* ---- roles ----------------------------------------------------------------------------------- */

const struct role *
catalog_role_by_oid(const struct catalog *catalog, oid_t oid)
{
    for (size_t i = 0; i < catalog->role_count; i++) {
        if (catalog->roles[i].oid == oid) {
            return &catalog->roles[i];
        }
    }
    return NULL;
}

static bool
is_member(const struct catalog *catalog, oid_t role, oid_t of, bool inherits, int depth)
{
    if (role == of) {
        return true;
    }
    const struct role *own = catalog_role_by_oid(catalog, role);
    if (depth == 0 || own == NULL || (inherits && !own->inherit)) {
        return false;
    }
    for (size_t i = 0; i < catalog->grant_count; i++) {
        const struct grant *grant = &catalog->grants[i];
        if (grant->class_oid == CATALOG_CLASS_ROLE && grant->grantee == role &&
            is_member(catalog, grant->object, of, inherits, depth - 1)) {
            return true;
        }
    }
    return false;
}

bool
catalog_role_is(const struct catalog *catalog, oid_t role, oid_t of, bool inherits)
{
    const struct role *own = catalog_role_by_oid(catalog, role);
    return (own != NULL && own->superuser) ||
           is_member(catalog, role, of, inherits, MEMBERSHIP_DEPTH_MAX);
}

oid_t
catalog_current_role(const struct catalog *catalog, const struct eval_env *env)
{
    const struct role *role =
        env == NULL || env->user == NULL ? NULL : catalog_role(catalog, env->user);
    return role == NULL ? 0 : role->oid;
}

bool
catalog_owns(const struct catalog *catalog, oid_t role, oid_t owner)
{
    return catalog_role_is(catalog, role, owner, true);
}

uint32_t
catalog_privileges(const struct catalog *catalog, oid_t role, oid_t class_oid, oid_t object,
    oid_t owner, uint32_t wanted, bool grant_options)
{
    size_t count = 0;
    const struct grant *grants = catalog_grants(catalog, class_oid, object, &count);
    uint32_t has = 0;
    if (catalog_owns(catalog, role, owner) && (grants == NULL || grant_options)) {
        return wanted;
    }
    const struct role *own = catalog_role_by_oid(catalog, role);
    if (own != NULL && own->superuser) {
        return wanted;
    }
    if (grants == NULL) {
        return grant_options ? 0 : catalog_default_public(class_oid, object) & wanted;
    }
    for (size_t i = 0; i < count && (has & wanted) != wanted; i++) {
        if (grants[i].grantee == ROLE_PUBLIC ||
            is_member(catalog, role, grants[i].grantee, true, MEMBERSHIP_DEPTH_MAX)) {
            has |= grant_options ? grants[i].options : grants[i].privileges;
        }
    }
    return has & wanted;
}

/* Catalogs that show what not everybody may see. */
static bool
is_secret(const struct relation *relation)
{
    static const char *const names[] = {"pg_authid", "pg_shadow", "pg_statistic", "pg_subscription",
        "pg_user_mapping", "pg_largeobject", "pg_hba_file_rules", "pg_file_settings"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(relation->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

uint32_t
catalog_relation_privileges(
    const struct catalog *catalog, oid_t role, const struct relation *relation, uint32_t wanted)
{
    if (relation->kind != RELATION_VIRTUAL) {
        return catalog_privileges(
            catalog, role, CATALOG_CLASS_RELATION, relation->oid, relation->owner, wanted, false);
    }
    const struct role *own = catalog_role_by_oid(catalog, role);
    bool all = (own != NULL && own->superuser);
    return all ? wanted : is_secret(relation) ? 0 : wanted & PRIVILEGE_SELECT;
}

/* ---- words ----------------------------------------------------------------------------------- */

static const char *const privilege_names[PRIVILEGE_COUNT] = {"INSERT", "SELECT", "UPDATE", "DELETE",
    "TRUNCATE", "REFERENCES", "TRIGGER", "EXECUTE", "USAGE", "CREATE", "TEMPORARY", "CONNECT"};

uint32_t
privilege_by_name(const char *name, size_t size)
{
    for (unsigned i = 0; i < PRIVILEGE_COUNT; i++) {
        if (strlen(privilege_names[i]) == size &&
            strncasecmp(privilege_names[i], name, size) == 0) {
            return 1U << i;
        }
    }
    return size == 4 && strncasecmp(name, "temp", 4) == 0 ? PRIVILEGE_TEMPORARY : 0;
}

const char *
privilege_name(uint32_t privilege)
{
    return privilege_names[__builtin_ctz(privilege)];
}

static struct datum
acl_item(struct arena *arena, const struct catalog *catalog, oid_t grantee, uint32_t privileges,
    uint32_t options, oid_t owner)
{
    static const char letters[] = "arwdDxtXUCTc";
    char text[2 * PRIVILEGE_COUNT + 1];
    size_t size = 0;
    for (unsigned i = 0; i < PRIVILEGE_COUNT; i++) {
        if ((privileges >> i & 1) != 0) {
            text[size++] = letters[i];
            if ((options >> i & 1) != 0) {
                text[size++] = '*';
            }
        }
    }
    text[size] = '\0';
    const struct role *to = catalog_role_by_oid(catalog, grantee);
    const struct role *by = catalog_role_by_oid(catalog, owner);
    char *item = arena_printf(
        arena, "%s=%s/%s", to == NULL ? "" : to->name, text, by == NULL ? "" : by->name);
    return datum_bytes(item, strlen(item));
}

struct datum
catalog_acl_default(struct arena *arena, const struct catalog *catalog, char kind, oid_t owner)
{
    static const struct {
        char kind;
        uint32_t own, others;
    } defaults[] = {
        {'c', 0, 0},
        {'r', PRIVILEGES_TABLE, 0},
        {'s', PRIVILEGES_SEQUENCE, 0},
        {'d', PRIVILEGES_DATABASE, PRIVILEGE_TEMPORARY | PRIVILEGE_CONNECT},
        {'f', PRIVILEGE_EXECUTE, PRIVILEGE_EXECUTE},
        {'l', PRIVILEGE_USAGE, PRIVILEGE_USAGE},
        {'L', PRIVILEGE_SELECT | PRIVILEGE_UPDATE, 0},
        {'n', PRIVILEGES_SCHEMA, 0},
        {'t', PRIVILEGE_CREATE, 0},
        {'F', PRIVILEGE_USAGE, 0},
        {'S', PRIVILEGE_USAGE, 0},
        {'T', PRIVILEGE_USAGE, PRIVILEGE_USAGE},
    };
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        if (defaults[i].kind == kind) {
            struct datum items[2];
            uint32_t count = 0;
            if (defaults[i].others != 0) {
                items[count++] =
                    acl_item(arena, catalog, ROLE_PUBLIC, defaults[i].others, 0, owner);
            }
            if (defaults[i].own != 0) {
                items[count++] = acl_item(arena, catalog, owner, defaults[i].own, 0, owner);
            }
            return array_make(arena, TYPE_TEXT, false, items, count);
        }
    }
    return datum_null();
}

struct datum
catalog_acl(
    struct arena *arena, const struct catalog *catalog, oid_t class_oid, oid_t object, oid_t owner)
{
    size_t count = 0;
    const struct grant *grants = catalog_grants(catalog, class_oid, object, &count);
    if (grants == NULL) {
        return datum_null();
    }
    struct datum *items = arena_array(arena, count, sizeof *items);
    uint32_t used = 0;
    for (int pass = 0; pass < 2; pass++) { /* the owner's own first */
        for (size_t i = 0; i < count; i++) {
            if ((grants[i].grantee == owner) == (pass == 0) && grants[i].privileges != 0) {
                items[used++] = acl_item(arena, catalog, grants[i].grantee, grants[i].privileges,
                    grants[i].grantee == owner ? 0 : grants[i].options, owner);
            }
        }
    }
    return array_make(arena, TYPE_TEXT, false, items, used);
}

struct datum
catalog_schema_acl(
    struct arena *arena, const struct catalog *catalog, const struct catalog_entry *schema)
{
    struct datum acl =
        catalog_acl(arena, catalog, CATALOG_CLASS_SCHEMA, schema->oid, schema->owner);
    if (!acl.null || schema->oid != NAMESPACE_PUBLIC) {
        return acl;
    }
    const struct datum items[] = {
        acl_item(arena, catalog, schema->owner, PRIVILEGES_SCHEMA, 0, schema->owner),
        acl_item(arena, catalog, ROLE_PUBLIC,
            catalog_default_public(CATALOG_CLASS_SCHEMA, schema->oid), 0, schema->owner),
    };
    return array_make(arena, TYPE_TEXT, false, items, 2);
}
