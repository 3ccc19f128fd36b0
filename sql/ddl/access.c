/*
 * sql/ddl/access.c - CREATE, ALTER and DROP ROLE, GRANT, REVOKE, and what other statements ask: is
 * the object ours?
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "sql/catalog/access.h"
#include "sql/ddl/ddl_internal.h"

/* ---- asking ---------------------------------------------------------------------------------- */

static bool
is_superuser(struct ddl *ddl)
{
    const struct role *role = catalog_role_by_oid(ddl->catalog, ddl->context->owner);
    return role != NULL && role->superuser;
}

enum err
ddl__check_owner(struct ddl *ddl, oid_t owner, const char *what, const char *name)
{
    return catalog_owns(ddl->catalog, ddl->context->owner, owner)
               ? ERR_OK
               : diag_set(
                     ddl->diag, ERR_INSUFFICIENT_PRIVILEGE, "must be owner of %s %s", what, name);
}

const char *
ddl__relation_word(const struct relation *relation)
{
    return relation->kind == RELATION_VIEW       ? "view"
           : relation->kind == RELATION_SEQUENCE ? "sequence"
           : relation_is_materialized(relation)  ? "materialized view"
                                                 : "table";
}

enum err
ddl__check_relation_owner(struct ddl *ddl, const struct relation *relation)
{
    return ddl__check_owner(ddl, relation->owner, ddl__relation_word(relation), relation->name);
}

static oid_t
schema_owner(struct ddl *ddl, oid_t schema)
{
    struct catalog_entry entry;
    return catalog_schema_by_oid(ddl->catalog, schema, &entry) ? entry.owner : ROLE_SUPERUSER_FIRST;
}

enum err
ddl__check_schema_create(struct ddl *ddl, oid_t schema, const char *name)
{
    uint32_t has = catalog_privileges(ddl->catalog, ddl->context->owner, CATALOG_CLASS_SCHEMA,
        schema, schema_owner(ddl, schema), PRIVILEGE_CREATE, false);
    return has != 0 ? ERR_OK
                    : diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE,
                          "permission denied for schema %s", name);
}

enum err
ddl__check_schema_owner(struct ddl *ddl, oid_t schema, const char *name)
{
    return ddl__check_owner(ddl, schema_owner(ddl, schema), "schema", name);
}

enum err
ddl__check_database_create(struct ddl *ddl)
{
    const char *name = ddl->context->env->database;
    const struct database *database = catalog_database(ddl->catalog, name);
    bool may = database == NULL ||
               catalog_privileges(ddl->catalog, ddl->context->owner, CATALOG_CLASS_DATABASE,
                   database->oid, database->owner, PRIVILEGE_CREATE, false) != 0;
    return may ? ERR_OK
               : diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE,
                     "permission denied for database %s", name);
}

enum err
ddl__check_relation(struct ddl *ddl, const struct relation *relation, uint32_t privilege)
{
    uint32_t has =
        catalog_relation_privileges(ddl->catalog, ddl->context->owner, relation, privilege);
    return has == privilege ? ERR_OK
                            : diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE,
                                  "permission denied for table %s", relation->name);
}

/* ---- roles ----------------------------------------------------------------------------------- */

enum err
ddl__find_role(struct ddl *ddl, const char *name, const struct role **role)
{
    const struct eval_env *env = ddl->context->env;
    if (strcmp(name, "current_user") == 0 || strcmp(name, "current_role") == 0) {
        name = env->user;
    } else if (strcmp(name, "session_user") == 0) {
        name = env->session_user;
    }
    *role = catalog_role(ddl->catalog, name);
    return *role != NULL
               ? ERR_OK
               : diag_set(ddl->diag, ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", name);
}

static enum err
denied(struct ddl *ddl, const char *words)
{
    return diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE, "%s", words);
}

static enum err
set_password(struct ddl *ddl, const struct ast_const *value, struct role *role)
{
    struct scram_verifier verifier;
    if (value->kind == AST_CONST_NULL) {
        role->password = NULL;
        return ERR_OK;
    }
    char *text = arena_strndup(ddl->arena, value->text, value->size);
    if (text[0] == '\0') {
        ddl__notice(ddl, ERR_OK, "empty string is not a valid password, clearing password");
        role->password = NULL;
        return ERR_OK;
    }
    if (!scram_parse(text, &verifier)) {
        uint8_t salt[SCRAM_SALT_SIZE];
        char *made = arena_alloc(ddl->arena, SCRAM_VERIFIER_MAX);
        world_random_bytes(task_world(ddl->task), salt, sizeof salt);
        scram_make(text, salt, sizeof salt, SCRAM_ITERATIONS, made);
        text = made;
    }
    role->password = text;
    return ERR_OK;
}

static enum err
set_valid_until(struct ddl *ddl, const struct ast_const *value, struct role *role)
{
    struct eval eval = {
        .task = ddl->task, .arena = ddl->arena, .diag = ddl->diag, .env = ddl->context->env};
    struct datum until;
    TRY(type_input(&eval, TYPE_TIMESTAMPTZ, -1, slice_of(value->text, value->size), &until));
    role->valid_until = until.i;
    return ERR_OK;
}

/* One option onto the role; lists of members are for later. */
static enum err
apply_option(struct ddl *ddl, const struct ast_option *option, struct role *role)
{
    const struct {
        const char *name;
        bool *flag;
        bool superuser; /* only a superuser may set it */
        const char *words;
    } flags[] = {
        {"superuser", &role->superuser, true, "must be superuser to create superusers"},
        {"createdb", &role->createdb, false, ""},
        {"createrole", &role->createrole, false, ""},
        {"login", &role->login, false, ""},
        {"inherit", &role->inherit, false, ""},
        {"replication", &role->replication, true, "must be superuser to create replication users"},
        {"bypassrls", &role->bypassrls, true, "must be superuser to create bypassrls users"},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(option->name, flags[i].name) == 0) {
            bool on = ast_as_const(option->value)->kind == AST_CONST_BOOL &&
                      ast_as_const(option->value)->boolean;
            if (on && flags[i].superuser && !is_superuser(ddl)) {
                return denied(ddl, flags[i].words);
            }
            *flags[i].flag = on;
            return ERR_OK;
        }
    }
    if (strcmp(option->name, "password") == 0) {
        return set_password(ddl, ast_as_const(option->value), role);
    }
    if (strcmp(option->name, "valid_until") == 0) {
        return set_valid_until(ddl, ast_as_const(option->value), role);
    }
    if (strcmp(option->name, "connection_limit") == 0) {
        role->connection_limit =
            option->value == NULL ? -1 : (int32_t)ast_as_const(option->value)->integer;
    }
    return ERR_OK;
}

static enum err
apply_options(struct ddl *ddl, const struct ast_list *options, struct role *role)
{
    AST_FOREACH(at, options)
    {
        const struct ast_option *option = ast_as_option(*at);
        AST_FOREACH(other, options)
        {
            if (*other == *at) {
                break;
            }
            if (strcmp(ast_as_option(*other)->name, option->name) == 0) {
                return ddl__at(ddl,
                    diag_set(ddl->diag, ERR_SYNTAX, "conflicting or redundant options"),
                    option->node.location);
            }
        }
        TRY(apply_option(ddl, option, role));
    }
    return ERR_OK;
}

static enum err
put_role(struct ddl *ddl, const struct role *role)
{
    struct ddl_context *context = ddl->context;
    TRY(catalog_role_put(ddl->task, context->store, context->txn, role, ddl->diag));
    return ddl__changed(ddl);
}

static enum err
put_grant(struct ddl *ddl, const struct grant *grant, bool remove)
{
    struct ddl_context *context = ddl->context;
    TRY(catalog_grant_put(ddl->task, context->store, context->txn, grant, remove, ddl->diag));
    return ddl__changed(ddl);
}

/* May the current role say who is a member of this one? */
static enum err
check_admin(struct ddl *ddl, const struct role *of)
{
    const struct role *own = catalog_role_by_oid(ddl->catalog, ddl->context->owner);
    if (is_superuser(ddl)) {
        return ERR_OK;
    }
    if (of->superuser) {
        return denied(ddl, "must be superuser to alter superusers");
    }
    size_t count = 0;
    const struct grant *grants = catalog_grants(ddl->catalog, CATALOG_CLASS_ROLE, of->oid, &count);
    bool may = own != NULL && own->createrole;
    for (size_t i = 0; i < count && own != NULL; i++) {
        may = may || (grants[i].options != 0 &&
                         catalog_role_is(ddl->catalog, own->oid, grants[i].grantee, false));
    }
    return may ? ERR_OK
               : diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE,
                     "must have admin option on role \"%s\"", of->name);
}

/* Makes `member` a member of `group`. */
static enum err
add_member(struct ddl *ddl, oid_t group, oid_t member, bool admin)
{
    const struct role *of = catalog_role_by_oid(ddl->catalog, group);
    const struct role *who = catalog_role_by_oid(ddl->catalog, member);
    TRY(check_admin(ddl, of));
    if (group == member ||
        (!of->superuser && catalog_role_is(ddl->catalog, group, member, false))) {
        return diag_set(ddl->diag, ERR_INVALID_GRANT, "role \"%s\" is a member of role \"%s\"",
            of->name, who->name);
    }
    size_t count = 0;
    const struct grant *grants = catalog_grants(ddl->catalog, CATALOG_CLASS_ROLE, group, &count);
    for (size_t i = 0; i < count; i++) {
        if (grants[i].grantee == member && (grants[i].options != 0 || !admin)) {
            ddl__notice(
                ddl, ERR_OK, "role \"%s\" is already a member of role \"%s\"", who->name, of->name);
            return ERR_OK;
        }
    }
    struct grant grant = {.class_oid = CATALOG_CLASS_ROLE,
        .object = group,
        .grantee = member,
        .privileges = PRIVILEGE_MEMBER,
        .options = admin ? PRIVILEGE_MEMBER : 0};
    return put_grant(ddl, &grant, false);
}

static enum err
add_members(struct ddl *ddl, const struct ast_list *options, oid_t role)
{
    AST_FOREACH(at, options)
    {
        const struct ast_option *option = ast_as_option(*at);
        bool in = strcmp(option->name, "in_role") == 0;
        bool admin = strcmp(option->name, "admin") == 0;
        if (!in && !admin && strcmp(option->name, "role") != 0) {
            continue;
        }
        AST_FOREACH(name, option->list)
        {
            const struct role *other;
            TRY(ddl__find_role(ddl, ast_as_name(*name)->text, &other));
            TRY(add_member(ddl, in ? other->oid : role, in ? role : other->oid, admin));
        }
    }
    return ERR_OK;
}

enum err
ddl__create_role(struct ddl *ddl, const struct ast_create_role *statement)
{
    struct ddl_context *context = ddl->context;
    const struct role *own = catalog_role_by_oid(ddl->catalog, context->owner);
    struct role role = {.name = statement->name,
        .login = statement->user,
        .inherit = true,
        .connection_limit = -1,
        .valid_until = INT64_MAX};
    if (own == NULL || (!own->superuser && !own->createrole)) {
        return denied(ddl, "permission denied to create role");
    }
    if (strncmp(role.name, "pg_", 3) == 0) {
        (void)diag_set(ddl->diag, ERR_RESERVED_NAME, "role name \"%s\" is reserved", role.name);
        diag_detail(ddl->diag, "Role names starting with \"pg_\" are reserved.");
        return ERR_RESERVED_NAME;
    }
    TRY(apply_options(ddl, statement->options, &role));
    bool taken = catalog_role(ddl->catalog, role.name) != NULL;
    if (!taken) {
        TRY(catalog_new_oid(ddl->task, context->store, &role.oid, ddl->diag));
        TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_ROLE, 0,
            role.name, role.oid, &taken, ddl->diag));
    }
    if (taken) {
        return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT, "role \"%s\" already exists", role.name);
    }
    TRY(put_role(ddl, &role));
    return add_members(ddl, statement->options, role.oid);
}

/* May the current role change this one? `self`: what anybody may change of himself. */
static enum err
check_may_alter(struct ddl *ddl, const struct role *role, bool self)
{
    const struct role *own = catalog_role_by_oid(ddl->catalog, ddl->context->owner);
    if (own != NULL && own->superuser) {
        return ERR_OK;
    }
    if (role->superuser) {
        return denied(
            ddl, "must be superuser to alter superuser roles or change superuser attribute");
    }
    bool may = own != NULL && (own->createrole || (self && own->oid == role->oid));
    return may ? ERR_OK : denied(ddl, "permission denied");
}

/* The value of SET name = value as one text; NULL: RESET. */
static const char *
setting_value(struct ddl *ddl, const struct ast_set *set)
{
    const char *text = NULL;
    if (set->kind != AST_SET_VALUE) {
        return NULL;
    }
    AST_FOREACH(at, set->values)
    {
        const struct ast_const *value = ast_as_const(*at);
        const char *one = value->kind == AST_CONST_BOOL ? (value->boolean ? "on" : "off")
                          : value->kind == AST_CONST_INTEGER
                              ? arena_printf(ddl->arena, "%lld", (long long)value->integer)
                              : arena_strndup(ddl->arena, value->text, value->size);
        text = text == NULL ? one : arena_printf(ddl->arena, "%s, %s", text, one);
    }
    return text;
}

enum err
ddl__put_settings(struct ddl *ddl, oid_t database, oid_t role, const struct ast_set *set)
{
    struct ddl_context *context = ddl->context;
    struct catalog_setting setting = {.database = database, .role = role, .name = set->name};
    const struct catalog_setting *have;
    if (set->kind == AST_SET_FROM_CURRENT) {
        return ddl__unsupported(ddl, "SET .. FROM CURRENT", -1);
    }
    if (set->kind != AST_SET_RESET_ALL) {
        setting.value = setting_value(ddl, set);
        TRY(catalog_setting_put(ddl->task, context->store, context->txn, &setting, ddl->diag));
        return ddl__changed(ddl);
    }
    const struct catalog *catalog = ddl->catalog;
    for (size_t i = 0; (have = catalog_setting_at(catalog, i)) != NULL; i++) {
        if (have->database == database && have->role == role) {
            setting.name = have->name;
            TRY(catalog_setting_put(ddl->task, context->store, context->txn, &setting, ddl->diag));
        }
    }
    return ddl__changed(ddl);
}

enum err
ddl__find_database(struct ddl *ddl, const char *name, const struct database **database)
{
    *database = catalog_database(ddl->catalog, name);
    return *database != NULL ? ERR_OK
                             : diag_set(ddl->diag, ERR_INVALID_CATALOG_NAME,
                                   "database \"%s\" does not exist", name);
}

enum err
ddl__alter_role(struct ddl *ddl, const struct ast_alter_role *statement)
{
    const struct role *found = NULL;
    const struct database *database = NULL;
    if (statement->name != NULL) {
        TRY(ddl__find_role(ddl, statement->name, &found));
    }
    if (statement->set != NULL) {
        if (statement->database != NULL) {
            TRY(ddl__find_database(ddl, statement->database, &database));
        }
        if (found == NULL && !is_superuser(ddl)) {
            return denied(ddl, "must be superuser to alter settings globally");
        }
        TRY(found == NULL ? ERR_OK : check_may_alter(ddl, found, true));
        return ddl__put_settings(ddl, database == NULL ? 0 : database->oid,
            found == NULL ? 0 : found->oid, statement->set);
    }
    ASSERT(found != NULL);
    const struct ast_node *only =
        ast_list_count(statement->options) == 1 ? ast_list_at(statement->options, 0) : NULL;
    bool self = only != NULL && strcmp(ast_as_option(only)->name, "password") == 0;
    AST_FOREACH(at, statement->options)
    {
        if (strcmp(ast_as_option(*at)->name, "superuser") == 0 && !is_superuser(ddl)) {
            return denied(
                ddl, "must be superuser to alter superuser roles or change superuser attribute");
        }
    }
    TRY(check_may_alter(ddl, found, self));
    struct role role = *found;
    TRY(apply_options(ddl, statement->options, &role));
    TRY(put_role(ddl, &role));
    return add_members(ddl, statement->options, role.oid);
}

enum err
ddl__rename_role(struct ddl *ddl, const char *from, const char *to)
{
    struct ddl_context *context = ddl->context;
    const struct role *found;
    bool taken = false;
    TRY(ddl__find_role(ddl, from, &found));
    TRY(check_may_alter(ddl, found, false));
    if (strcmp(found->name, context->env->session_user) == 0) {
        return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "session user cannot be renamed");
    }
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_ROLE, 0, to,
        found->oid, &taken, ddl->diag));
    if (taken) {
        return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT, "role \"%s\" already exists", to);
    }
    TRY(catalog_name_remove(
        ddl->task, context->store, context->txn, CATALOG_NAME_ROLE, 0, found->name, ddl->diag));
    struct role role = *found;
    role.name = to;
    return put_role(ddl, &role);
}

/* ---- what stands in the way of a role's end, in PostgreSQL's words ------------------------------
 */

struct dependents {
    struct ddl *ddl;
    oid_t role;
    char *text; /* NULL: nothing */
    /* Of other databases objects are only counted; by their place in the catalog. */
    uint32_t *counts;
};

static void __attribute__((format(printf, 2, 3)))
add_line(struct dependents *to, const char *fmt, ...)
{
    char line[3 * NAME_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    to->text = arena_printf(to->ddl->arena, "%s%s%s", to->text == NULL ? "" : to->text,
        to->text == NULL ? "" : "\n", line);
}

/* An object of another database is one to count. */
static bool
is_far(struct dependents *to, oid_t database)
{
    const struct database *at;
    if (database == 0 || database == txn_scope(to->ddl->context->txn)) {
        return false;
    }
    for (size_t i = 0; (at = catalog_database_at(to->ddl->catalog, i)) != NULL; i++) {
        to->counts[i] += at->oid == database ? 1 : 0;
    }
    return true;
}

static oid_t
database_of_schema(const struct catalog *whole, oid_t schema)
{
    struct catalog_entry entry;
    return catalog_schema_by_oid(whole, schema, &entry) ? entry.database : 0;
}

static void
add_default_access(struct dependents *to, const struct catalog *whole,
    const struct default_access *access, const char *what)
{
    const struct role *owner = catalog_role_by_oid(whole, access->role);
    const char *schema = access->schema == 0 ? NULL : catalog_schema_name(whole, access->schema);
    if (!is_far(to, access->database)) {
        add_line(to, "%s default privileges on new %s belonging to role %s%s%s", what,
            access->kind == 'r'   ? "relations"
            : access->kind == 'S' ? "sequences"
                                  : "schemas",
            owner == NULL ? "" : owner->name, schema == NULL ? "" : " in schema ",
            schema == NULL ? "" : schema);
    }
}

static void
add_owned(struct dependents *to, const struct catalog *whole)
{
    const struct relation *relation;
    const struct user_type *type;
    const struct user_function *function;
    const struct database *database;
    struct catalog_entry schema;
    for (size_t i = 0; (relation = catalog_relation_at(whole, i)) != NULL; i++) {
        if (relation->database != 0 && relation->owner == to->role &&
            !is_far(to, relation->database)) {
            add_line(to, "owner of %s %s", ddl__relation_word(relation), relation->name);
        }
    }
    for (size_t i = 0; (type = catalog_type_at(whole, i)) != NULL; i++) {
        if (type->owner == to->role && !is_far(to, database_of_schema(whole, type->schema))) {
            add_line(to, "owner of type %s", type->name);
        }
    }
    for (size_t i = 0; (function = catalog_function_at(whole, i)) != NULL; i++) {
        if (function->owner == to->role &&
            !is_far(to, database_of_schema(whole, function->schema))) {
            add_line(to, "owner of function %s", function->name);
        }
    }
    for (size_t i = 0; catalog_schema_at(whole, i, &schema); i++) {
        if (schema.owner == to->role && !is_far(to, schema.database)) {
            add_line(to, "owner of schema %s", schema.name);
        }
    }
    const struct default_access *access;
    for (size_t i = 0; (access = catalog_default_access_at(whole, i)) != NULL; i++) {
        if (access->role == to->role) {
            add_default_access(to, whole, access, "owner of");
        }
    }
    for (size_t i = 0; (database = catalog_database_at(whole, i)) != NULL; i++) {
        if (database->owner == to->role) {
            add_line(to, "owner of database %s", database->name);
        }
    }
}

/* Its owner has privileges anyhow. */
static void
add_granted(struct dependents *to, const struct catalog *whole, const struct grant *grant)
{
    if (grant->class_oid == CATALOG_CLASS_RELATION) {
        const struct relation *relation = catalog_relation_by_oid(whole, grant->object);
        if (relation != NULL && relation->owner != to->role && !is_far(to, relation->database)) {
            add_line(to, "privileges for %s %s", ddl__relation_word(relation), relation->name);
        }
    } else if (grant->class_oid == CATALOG_CLASS_SCHEMA) {
        struct catalog_entry schema;
        if (catalog_schema_by_oid(whole, grant->object, &schema) && schema.owner != to->role &&
            !is_far(to, schema.database)) {
            add_line(to, "privileges for schema %s", schema.name);
        }
    } else if (grant->class_oid == CATALOG_CLASS_DEFAULT_ACCESS) {
        const struct default_access *access;
        for (size_t i = 0; (access = catalog_default_access_at(whole, i)) != NULL; i++) {
            if (access->oid == grant->object && access->role != to->role) {
                add_default_access(to, whole, access, "privileges for");
            }
        }
    } else if (grant->class_oid == CATALOG_CLASS_DATABASE) {
        const struct database *database = catalog_database_by_oid(whole, grant->object);
        if (database != NULL && database->owner != to->role) {
            add_line(to, "privileges for database %s", database->name);
        }
    }
}

static const char *
dependents(struct ddl *ddl, oid_t role)
{
    const struct catalog *whole = catalog_whole(ddl->catalog);
    size_t databases = 0;
    while (catalog_database_at(whole, databases) != NULL) {
        databases++;
    }
    struct dependents to = {.ddl = ddl,
        .role = role,
        .counts = arena_array(ddl->arena, databases + 1, sizeof *to.counts)};
    const struct grant *grant;
    add_owned(&to, whole);
    for (size_t i = 0; (grant = catalog_grant_at(whole, i)) != NULL; i++) {
        if (grant->grantee == role && grant->privileges != 0) {
            add_granted(&to, whole, grant);
        }
    }
    for (size_t i = 0; i < databases; i++) {
        if (to.counts[i] != 0) {
            add_line(&to, "%u object%s in database %s", to.counts[i], to.counts[i] == 1 ? "" : "s",
                catalog_database_at(whole, i)->name);
        }
    }
    return to.text;
}

enum err
ddl__drop_role(struct ddl *ddl, const char *name, bool if_exists)
{
    struct ddl_context *context = ddl->context;
    const struct role *own = catalog_role_by_oid(ddl->catalog, context->owner);
    const struct role *role = catalog_role(ddl->catalog, name);
    if (own == NULL || (!own->superuser && !own->createrole)) {
        return denied(ddl, "permission denied to drop role");
    }
    if (role == NULL && if_exists) {
        ddl__notice(ddl, ERR_OK, "role \"%s\" does not exist, skipping", name);
        return ERR_OK;
    }
    TRY(ddl__find_role(ddl, name, &role));
    if (strcmp(role->name, context->env->user) == 0) {
        return diag_set(ddl->diag, ERR_OBJECT_IN_USE, "current user cannot be dropped");
    }
    if (strcmp(role->name, context->env->session_user) == 0) {
        return diag_set(ddl->diag, ERR_OBJECT_IN_USE, "session user cannot be dropped");
    }
    if (role->superuser && !own->superuser) {
        return denied(ddl, "must be superuser to drop superusers");
    }
    if (role->oid == ROLE_SUPERUSER_FIRST) {
        return diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
            "cannot drop role %s because it is required by the database system", role->name);
    }
    const char *detail = dependents(ddl, role->oid);
    if (detail != NULL) {
        (void)diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
            "role \"%s\" cannot be dropped because some objects depend on it", role->name);
        diag_detail(ddl->diag, "%s", detail);
        return ERR_DEPENDENT_OBJECTS;
    }
    const struct catalog *catalog = ddl->catalog;
    const struct grant *grant;
    const struct catalog_setting *setting;
    for (size_t i = 0; (grant = catalog_grant_at(catalog, i)) != NULL; i++) {
        if (grant->grantee == role->oid ||
            (grant->class_oid == CATALOG_CLASS_ROLE && grant->object == role->oid)) {
            TRY(catalog_grant_put(ddl->task, context->store, context->txn, grant, true, ddl->diag));
        }
    }
    for (size_t i = 0; (setting = catalog_setting_at(catalog, i)) != NULL; i++) {
        struct catalog_setting gone = {setting->database, setting->role, setting->name, NULL};
        if (setting->role == role->oid) {
            TRY(catalog_setting_put(ddl->task, context->store, context->txn, &gone, ddl->diag));
        }
    }
    TRY(catalog_name_remove(
        ddl->task, context->store, context->txn, CATALOG_NAME_ROLE, 0, role->name, ddl->diag));
    TRY(catalog_role_remove(ddl->task, context->store, context->txn, role->oid, ddl->diag));
    return ddl__changed(ddl);
}

/* ---- GRANT, REVOKE ----------------------------------------------------------------------------
 */

/* What is granted on. */
struct object {
    oid_t class_oid, oid, owner;
    char kind; /* of a relation */
    const char *name;
};

static const char *
object_word(const struct object *object)
{
    return object->class_oid == CATALOG_CLASS_SCHEMA     ? "schema"
           : object->class_oid == CATALOG_CLASS_DATABASE ? "database"
           : object->kind == RELATION_SEQUENCE           ? "sequence"
                                                         : "table";
}

static enum err
put_object_grant(struct ddl *ddl, const struct object *object, oid_t grantee, uint32_t privileges,
    uint32_t options)
{
    struct ddl_context *context = ddl->context;
    struct grant grant = {object->class_oid, object->oid, grantee, privileges, options};
    /* The owner's row stays when it is empty: that something is written down is kept by it. */
    bool remove = privileges == 0 && grantee != object->owner;
    return catalog_grant_put(ddl->task, context->store, context->txn, &grant, remove, ddl->diag);
}

enum err
ddl__grants_follow_owner(struct ddl *ddl, enum catalog_class_oid class_oid, oid_t oid, oid_t owner)
{
    size_t count = 0;
    const struct grant *grants = catalog_grants(ddl->catalog, class_oid, oid, &count);
    if (grants == NULL) {
        return ERR_OK;
    }
    struct object object = {class_oid, oid, owner, 0, ""};
    const struct relation *relation = catalog_relation_by_oid(ddl->catalog, oid);
    object.kind = relation == NULL ? 0 : relation->kind;
    return put_object_grant(ddl, &object, owner, catalog_all_privileges(class_oid, object.kind), 0);
}

/* The first change of an object's privileges writes its default ones down. */
static enum err
write_defaults(struct ddl *ddl, const struct object *object)
{
    size_t count = 0;
    if (catalog_grants(ddl->catalog, object->class_oid, object->oid, &count) != NULL) {
        return ERR_OK;
    }
    uint32_t all = catalog_all_privileges(object->class_oid, object->kind);
    uint32_t others = catalog_default_public(object->class_oid, object->oid);
    TRY(put_object_grant(ddl, object, object->owner, all, 0));
    if (others != 0) {
        TRY(put_object_grant(ddl, object, ROLE_PUBLIC, others, 0));
    }
    return ddl__changed(ddl);
}

static enum err
grant_on(struct ddl *ddl, const struct ast_grant *statement, const struct object *object,
    uint32_t privileges)
{
    uint32_t may = catalog_privileges(ddl->catalog, ddl->context->owner, object->class_oid,
        object->oid, object->owner, privileges, true);
    if (may == 0) {
        uint32_t has =
            catalog_privileges(ddl->catalog, ddl->context->owner, object->class_oid, object->oid,
                object->owner, catalog_all_privileges(object->class_oid, object->kind), false);
        if (has == 0) {
            return diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied for %s %s",
                object_word(object), object->name);
        }
        ddl__notice(ddl, ERR_OK,
            statement->revoke ? "no privileges could be revoked for \"%s\""
                              : "no privileges were granted for \"%s\"",
            object->name);
        return ERR_OK;
    }
    TRY(write_defaults(ddl, object));
    AST_FOREACH(at, statement->grantees)
    {
        const char *name = ast_as_name(*at)->text;
        const struct role *role = NULL;
        if (strcmp(name, "public") != 0) {
            TRY(ddl__find_role(ddl, name, &role));
        } else if (statement->grant_option && !statement->revoke) {
            return diag_set(
                ddl->diag, ERR_INVALID_GRANT, "grant options can only be granted to roles");
        }
        oid_t grantee = role == NULL ? ROLE_PUBLIC : role->oid;
        size_t count = 0;
        struct grant grant = {0};
        const struct grant *grants =
            catalog_grants(ddl->catalog, object->class_oid, object->oid, &count);
        for (size_t i = 0; i < count; i++) {
            grant = grants[i].grantee == grantee ? grants[i] : grant;
        }
        if (!statement->revoke) {
            grant.privileges |= may;
            grant.options |= statement->grant_option ? may : 0;
        } else {
            grant.options &= ~may;
            grant.privileges &= statement->grant_option ? UINT32_MAX : ~may;
        }
        TRY(put_object_grant(ddl, object, grantee, grant.privileges, grant.options));
        TRY(ddl__changed(ddl));
    }
    return ERR_OK;
}

enum err
ddl__read_privileges(struct ddl *ddl, const struct ast_list *list, uint32_t all, const char *what,
    uint32_t *privileges)
{
    *privileges = list == NULL ? all : 0;
    AST_FOREACH(at, list)
    {
        const char *name = ast_as_name(*at)->text;
        uint32_t one = privilege_by_name(name, strlen(name));
        if (one == 0) {
            return diag_set(ddl->diag, ERR_SYNTAX, "unrecognized privilege type \"%s\"", name);
        }
        if ((one & all) == 0) {
            return diag_set(ddl->diag, ERR_INVALID_GRANT, "invalid privilege type %s for %s",
                privilege_name(one), what);
        }
        *privileges |= one;
    }
    return ERR_OK;
}

static enum err
read_privileges(struct ddl *ddl, const struct ast_grant *statement, const struct object *object,
    uint32_t *privileges)
{
    uint32_t all = catalog_all_privileges(object->class_oid, object->kind);
    return ddl__read_privileges(ddl, statement->privileges, all, object_word(object), privileges);
}

static enum err
grant_relations_of(struct ddl *ddl, const struct ast_grant *statement, const char *schema)
{
    oid_t oid = catalog_schema(ddl->catalog, schema);
    if (oid == 0) {
        return diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", schema);
    }
    const struct catalog *catalog = ddl->catalog;
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(catalog, i)) != NULL; i++) {
        bool sequence = relation->kind == RELATION_SEQUENCE;
        if (relation->schema != oid || relation->kind == RELATION_VIRTUAL ||
            sequence != (statement->object == AST_OBJECT_SEQUENCE)) {
            continue;
        }
        struct object object = {
            CATALOG_CLASS_RELATION, relation->oid, relation->owner, relation->kind, relation->name};
        uint32_t privileges;
        TRY(read_privileges(ddl, statement, &object, &privileges));
        TRY(grant_on(ddl, statement, &object, privileges));
    }
    return ERR_OK;
}

static enum err
find_object(struct ddl *ddl, const struct ast_grant *statement, const struct ast_table *name,
    struct object *object)
{
    const struct database *database;
    *object = (struct object){.name = name->name};
    switch (statement->object) {
    case AST_OBJECT_SCHEMA:
        object->class_oid = CATALOG_CLASS_SCHEMA;
        object->oid = catalog_schema(ddl->catalog, name->name);
        object->owner = schema_owner(ddl, object->oid);
        return object->oid != 0 ? ERR_OK
                                : diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME,
                                      "schema \"%s\" does not exist", name->name);
    case AST_OBJECT_DATABASE:
        TRY(ddl__find_database(ddl, name->name, &database));
        object->class_oid = CATALOG_CLASS_DATABASE;
        object->oid = database->oid;
        object->owner = database->owner;
        return ERR_OK;
    case AST_OBJECT_TABLE:
    case AST_OBJECT_SEQUENCE: {
        const struct relation *relation = catalog_relation_on(
            ddl->catalog, ddl->context->env->search_path, name->schema, name->name);
        if (relation == NULL) {
            return diag_set(
                ddl->diag, ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", name->name);
        }
        if (statement->object == AST_OBJECT_SEQUENCE && relation->kind != RELATION_SEQUENCE) {
            return diag_set(
                ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", name->name);
        }
        if (relation->kind == RELATION_VIRTUAL) {
            return ddl__unsupported(ddl, "GRANT on a system catalog", -1);
        }
        *object = (struct object){
            CATALOG_CLASS_RELATION, relation->oid, relation->owner, relation->kind, relation->name};
        return ERR_OK;
    }
    default:
        return ddl__unsupported(ddl, "GRANT on this kind of object", -1);
    }
}

static enum err
grant_roles(struct ddl *ddl, const struct ast_grant *statement)
{
    AST_FOREACH(at, statement->privileges)
    {
        const struct role *group;
        TRY(ddl__find_role(ddl, ast_as_name(*at)->text, &group));
        AST_FOREACH(to, statement->grantees)
        {
            const struct role *member;
            TRY(ddl__find_role(ddl, ast_as_name(*at)->text, &group)); /* the picture has changed */
            TRY(ddl__find_role(ddl, ast_as_name(*to)->text, &member));
            if (!statement->revoke) {
                TRY(add_member(ddl, group->oid, member->oid, statement->grant_option));
                continue;
            }
            TRY(check_admin(ddl, group));
            size_t count = 0;
            bool found = false;
            const struct grant *grants =
                catalog_grants(ddl->catalog, CATALOG_CLASS_ROLE, group->oid, &count);
            for (size_t i = 0; i < count && !found; i++) {
                if (grants[i].grantee == member->oid) {
                    found = true;
                    struct grant left = grants[i];
                    left.options = 0;
                    TRY(put_grant(ddl, &left, !statement->grant_option));
                }
            }
            if (!found) {
                ddl__notice(ddl, ERR_OK, "role \"%s\" is not a member of role \"%s\"", member->name,
                    group->name);
            }
        }
    }
    return ERR_OK;
}

enum err
ddl__grant(struct ddl *ddl, const struct ast_grant *statement)
{
    if (statement->role) {
        return grant_roles(ddl, statement);
    }
    AST_FOREACH(at, statement->objects)
    {
        const struct ast_table *name = ast_as_table(*at);
        if (statement->all_in_schema) {
            if (statement->object != AST_OBJECT_FUNCTION) { /* of which there are none */
                TRY(grant_relations_of(ddl, statement, name->name));
            }
            continue;
        }
        struct object object;
        uint32_t privileges;
        TRY(find_object(ddl, statement, name, &object));
        TRY(read_privileges(ddl, statement, &object, &privileges));
        TRY(grant_on(ddl, statement, &object, privileges));
    }
    return ERR_OK;
}
