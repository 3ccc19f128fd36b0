/*
 * sql/ddl/database.c - CREATE, ALTER and DROP DATABASE.
 *
 * A database is a row, and its schemas are rows that name it; all that is in them hangs from these.
 * So one transaction makes or drops it whole. A new one has its template's schemas; templates with
 * anything in these are not copied.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "sql/catalog/access.h"
#include "sql/catalog/buckets.h"
#include "sql/catalog/sharding.h"
#include "sql/ddl/ddl_internal.h"

uint64_t
ddl_database_lock(oid_t database)
{
    return (uint64_t)CATALOG_CLASS_DATABASE << 32 | database;
}

/* ---- sharing ----------------------------------------------------------------------------------
 */

enum err
ddl__make_schema(
    struct ddl *ddl, oid_t database, const char *name, oid_t owner, oid_t *schema, bool *taken)
{
    struct ddl_context *context = ddl->context;
    TRY(catalog_new_oid(ddl->task, context->store, schema, ddl->diag));
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_SCHEMA,
        catalog_schema_parent(database), name, *schema, taken, ddl->diag));
    const struct catalog_entry entry = {*schema, owner, database, name};
    return *taken ? ERR_OK
                  : catalog_schema_put(ddl->task, context->store, context->txn, &entry, ddl->diag);
}

enum err
ddl__give_schema(struct ddl *ddl, oid_t schema, oid_t owner)
{
    struct ddl_context *context = ddl->context;
    struct catalog_entry entry;
    if (!catalog_schema_by_oid(ddl->catalog, schema, &entry)) {
        return diag_set(
            ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema with OID %u does not exist", schema);
    }
    entry.owner = owner;
    TRY(ddl__grants_follow_owner(ddl, CATALOG_CLASS_SCHEMA, schema, owner));
    TRY(catalog_schema_put(ddl->task, context->store, context->txn, &entry, ddl->diag));
    return ddl__changed(ddl);
}

static enum err
put_database(struct ddl *ddl, const struct database *database)
{
    struct ddl_context *context = ddl->context;
    TRY(catalog_database_put(ddl->task, context->store, context->txn, database, ddl->diag));
    return ddl__changed(ddl);
}

/* The database, looked at again once its lock is held. */
static enum err
lock_database(struct ddl *ddl, const char *name, const struct database **database)
{
    oid_t locked = 0;
    for (;;) {
        TRY(ddl__refresh(ddl));
        TRY(ddl__find_database(ddl, name, database));
        if ((*database)->oid == locked) {
            return ERR_OK;
        }
        locked = (*database)->oid;
        TRY(txn_lock_table(ddl->task, ddl->context->txn, ddl_database_lock(locked), name,
            TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
    }
}

/* Nobody else is in the database, whose lock is held. */
static enum err
check_alone(struct ddl *ddl, const struct database *database, const char *words, bool end)
{
    struct ddl_context *context = ddl->context;
    uint32_t count = 0;
    if (context->others != NULL) {
        TRY(context->others(
            ddl->task, context->pending_arg, database->oid, end, &count, ddl->diag));
    }
    if (count == 0) {
        return ERR_OK;
    }
    (void)diag_set(ddl->diag, ERR_OBJECT_IN_USE, "%s \"%s\" is being accessed by other users",
        words, database->name);
    if (count == 1) {
        diag_detail(ddl->diag, "There is 1 other session using the database.");
    } else {
        diag_detail(ddl->diag, "There are %u other sessions using the database.", count);
    }
    return ERR_OBJECT_IN_USE;
}

static enum err
others_follow(struct ddl *ddl, const char *name, const char *to)
{
    struct ddl_context *context = ddl->context;
    return context->database_goes == NULL
               ? ERR_OK
               : context->database_goes(ddl->task, context->pending_arg, name, to, ddl->diag);
}

static bool
is_superuser(struct ddl *ddl)
{
    const struct role *role = catalog_role_by_oid(ddl->catalog, ddl->context->owner);
    return role != NULL && role->superuser;
}

static bool
may_create(struct ddl *ddl)
{
    const struct role *role = catalog_role_by_oid(ddl->catalog, ddl->context->owner);
    return role != NULL && (role->superuser || role->createdb);
}

/* ---- options ----------------------------------------------------------------------------------
 */

struct options {
    const char *owner, *template;
    struct database *database; /* connection limit and the rest */
};

static enum err
option_text(struct ddl *ddl, const struct ast_option *option, const char **text)
{
    if (option->value == NULL) {
        *text = NULL; /* DEFAULT */
        return ERR_OK;
    }
    const struct ast_const *value = ast_as_const(option->value);
    *text = value->kind == AST_CONST_BOOL ? (value->boolean ? "true" : "false")
            : value->kind == AST_CONST_INTEGER
                ? arena_printf(ddl->arena, "%" PRId64, value->integer)
                : arena_strndup(ddl->arena, value->text, value->size);
    return ERR_OK;
}

static enum err
option_bool(struct ddl *ddl, const struct ast_option *option, bool *to)
{
    static const char *const words[] = {"false", "true", "off", "on", "no", "yes", "0", "1"};
    const char *text;
    TRY(option_text(ddl, option, &text));
    for (size_t i = 0; text != NULL && i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *to = i % 2 == 1;
            return ERR_OK;
        }
    }
    return text == NULL
               ? ERR_OK
               : diag_set(ddl->diag, ERR_SYNTAX, "%s requires a Boolean value", option->name);
}

static enum err
check_encoding(struct ddl *ddl, const char *text)
{
    static const char *const ours[] = {"utf8", "utf-8", "unicode", "6"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcasecmp(text, ours[i]) == 0) {
            return ERR_OK;
        }
    }
    (void)diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "encoding %s is not supported", text);
    diag_hint(ddl->diag, "All text is UTF8.");
    return ERR_FEATURE_NOT_SUPPORTED;
}

static enum err
check_locale(struct ddl *ddl, const char *text)
{
    static const char *const ours[] = {"C", "POSIX", "C.UTF-8", "C.utf8"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcmp(text, ours[i]) == 0) {
            return ERR_OK;
        }
    }
    (void)diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "locale \"%s\" is not supported", text);
    diag_hint(ddl->diag, "Text is compared as in the locale C: use LOCALE 'C'.");
    return ERR_FEATURE_NOT_SUPPORTED;
}

/* What says how the database's files are made, or in what words its text is: one choice each. */
static enum err
check_choice(struct ddl *ddl, const struct ast_option *option, const char *text, bool *known)
{
    static const struct {
        const char *option, *choices[2];
    } table[] = {
        {"locale_provider", {"libc", "libc"}},
        {"strategy", {"wal_log", "file_copy"}},
        {"tablespace", {"pg_default", "pg_default"}},
    };
    *known = false;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(option->name, table[i].option) != 0) {
            continue;
        }
        *known = true;
        bool good = text == NULL || strcasecmp(text, table[i].choices[0]) == 0 ||
                    strcasecmp(text, table[i].choices[1]) == 0;
        return good     ? ERR_OK
               : i == 2 ? diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
                              "tablespace \"%s\" does not exist", text)
                        : diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                              "%s \"%s\" is not supported", option->name, text);
    }
    return ERR_OK;
}

static enum err
read_limit(struct ddl *ddl, const struct ast_option *option, const char *text, int32_t *limit)
{
    char *end = NULL;
    long value = text == NULL ? -1 : strtol(text, &end, 10);
    if (text != NULL && (end == text || *end != '\0' || value < -1 || value > INT32_MAX)) {
        enum err err =
            diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE, "invalid connection limit: %s", text);
        return ddl__at(ddl, err, option->node.location);
    }
    *limit = (int32_t)value;
    return ERR_OK;
}

/* create: those of CREATE DATABASE too. */
static enum err
read_option(struct ddl *ddl, const struct ast_option *option, bool create, struct options *options)
{
    const char *name = option->name;
    const char *text;
    TRY(option_text(ddl, option, &text));
    if (strcmp(name, "connection_limit") == 0) {
        return read_limit(ddl, option, text, &options->database->connection_limit);
    }
    if (strcmp(name, "is_template") == 0) {
        return option_bool(ddl, option, &options->database->is_template);
    }
    if (strcmp(name, "allow_connections") == 0) {
        bool allow = !options->database->no_connections;
        TRY(option_bool(ddl, option, &allow));
        options->database->no_connections = !allow;
        return ERR_OK;
    }
    if (create && strcmp(name, "owner") == 0) {
        options->owner = text;
        return ERR_OK;
    }
    if (create && strcmp(name, "template") == 0) {
        options->template = text;
        return ERR_OK;
    }
    if (create && strcmp(name, "encoding") == 0) {
        return text == NULL ? ERR_OK : check_encoding(ddl, text);
    }
    if (create && (strcmp(name, "locale") == 0 || strcmp(name, "lc_collate") == 0 ||
                      strcmp(name, "lc_ctype") == 0)) {
        return text == NULL ? ERR_OK : check_locale(ddl, text);
    }
    bool known = false;
    TRY(create ? check_choice(ddl, option, text, &known) : ERR_OK);
    if (known) {
        return ERR_OK;
    }
    if (create && (strcmp(name, "icu_locale") == 0 || strcmp(name, "collation_version") == 0 ||
                      strcmp(name, "oid") == 0)) {
        return ddl__unsupported(ddl, arena_printf(ddl->arena, "option \"%s\"", name), -1);
    }
    enum err err = diag_set(ddl->diag, ERR_SYNTAX, "option \"%s\" not recognized", name);
    return ddl__at(ddl, err, option->node.location);
}

static enum err
read_options(struct ddl *ddl, const struct ast_list *list, bool create, struct options *options)
{
    for (uint32_t i = 0; i < ast_list_count(list); i++) {
        const struct ast_option *option = ast_as_option(ast_list_at(list, i));
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(ast_as_option(ast_list_at(list, k))->name, option->name) == 0) {
                enum err err = diag_set(ddl->diag, ERR_SYNTAX, "conflicting or redundant options");
                return ddl__at(ddl, err, option->node.location);
            }
        }
        TRY(read_option(ddl, option, create, options));
    }
    return ERR_OK;
}

/* ---- CREATE -----------------------------------------------------------------------------------
 */

static enum err
refuse_copy(struct ddl *ddl, const char *template, const char *what, const char *name)
{
    (void)diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
        "a template database with objects in it is not supported");
    diag_detail(ddl->diag, "Database \"%s\" has %s %s.", template, what, name);
    diag_hint(ddl->diag, "Use an empty one, such as template0.");
    return ERR_FEATURE_NOT_SUPPORTED;
}

/* `from`: the template's picture. */
static enum err
check_empty(struct ddl *ddl, const struct catalog *from, const struct database *template)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(from, i)) != NULL; i++) {
        if (relation->database != 0) {
            return refuse_copy(ddl, template->name, "relation", relation->name);
        }
    }
    const struct user_type *type = catalog_type_at(from, 0);
    const struct user_function *function = catalog_function_at(from, 0);
    return type != NULL       ? refuse_copy(ddl, template->name, "type", type->name)
           : function != NULL ? refuse_copy(ddl, template->name, "function", function->name)
                              : ERR_OK;
}

/* Who owned the system's schema gives way to the owner of the new database. */
static enum err
copy_schema(struct ddl *ddl, const struct catalog_entry *from, const struct database *to)
{
    struct ddl_context *context = ddl->context;
    oid_t owner = from->owner == ROLE_SUPERUSER_FIRST ? to->owner : from->owner;
    oid_t schema;
    bool taken;
    TRY(ddl__make_schema(ddl, to->oid, from->name, owner, &schema, &taken));
    ASSERT(!taken); /* the database is new */
    size_t count = 0;
    const struct grant *grants =
        catalog_grants(ddl->catalog, CATALOG_CLASS_SCHEMA, from->oid, &count);
    for (size_t i = 0; i < count; i++) {
        struct grant grant = grants[i];
        grant.object = schema;
        grant.grantee = grant.grantee == from->owner ? owner : grant.grantee;
        TRY(catalog_grant_put(ddl->task, context->store, context->txn, &grant, false, ddl->diag));
    }
    /* What everybody may do in the template's without a word must be written down for ours. */
    uint32_t open = catalog_default_public(CATALOG_CLASS_SCHEMA, from->oid);
    if (grants == NULL && open != 0) {
        const struct grant own = {CATALOG_CLASS_SCHEMA, schema, owner,
            catalog_all_privileges(CATALOG_CLASS_SCHEMA, 0), 0};
        const struct grant all = {CATALOG_CLASS_SCHEMA, schema, ROLE_PUBLIC, open, 0};
        TRY(catalog_grant_put(ddl->task, context->store, context->txn, &own, false, ddl->diag));
        TRY(catalog_grant_put(ddl->task, context->store, context->txn, &all, false, ddl->diag));
    }
    const char *comment = catalog_comment(ddl->catalog, CATALOG_CLASS_SCHEMA, from->oid, 0);
    return comment == NULL ? ERR_OK
                           : catalog_comment_put(ddl->task, context->store, context->txn,
                                 CATALOG_CLASS_SCHEMA, schema, 0, comment, ddl->diag);
}

/* `template` NULL: a directory made before there were any. Its picture is held by the caller. */
static enum err
fill(struct ddl *ddl, const struct catalog *from, const struct database *template,
    const struct database *to)
{
    struct catalog_entry schema;
    if (template == NULL) {
        const struct catalog_entry public = {
            NAMESPACE_PUBLIC, ROLE_SUPERUSER_FIRST, DATABASE_POSTGRES, "public"};
        return copy_schema(ddl, &public, to);
    }
    for (size_t i = 0; catalog_schema_at(from, i, &schema); i++) {
        if (schema.database == template->oid && !catalog_is_temporary(schema.name)) {
            TRY(copy_schema(ddl, &schema, to));
        }
    }
    return ERR_OK;
}

static enum err
find_template(struct ddl *ddl, const char *name, const struct database **template)
{
    const char *wanted = name == NULL ? "template1" : name;
    *template = catalog_database(ddl->catalog, wanted);
    if (*template == NULL) {
        return name == NULL ? ERR_OK
                            : diag_set(ddl->diag, ERR_INVALID_CATALOG_NAME,
                                  "template database \"%s\" does not exist", name);
    }
    if (!(*template)->is_template &&
        !catalog_owns(ddl->catalog, ddl->context->owner, (*template)->owner)) {
        return diag_set(ddl->diag, ERR_INSUFFICIENT_PRIVILEGE,
            "permission denied to copy database \"%s\"", wanted);
    }
    TRY(lock_database(ddl, wanted, template));
    return check_alone(ddl, *template, "source database", false);
}

static enum err
find_owner(struct ddl *ddl, const char *name, oid_t *owner)
{
    *owner = ddl->context->owner;
    return name == NULL ? ERR_OK : ddl__new_owner(ddl, name, owner);
}

enum err
ddl__create_database(struct ddl *ddl, const struct ast_create_database *statement)
{
    struct ddl_context *context = ddl->context;
    struct database made = {.name = statement->name, .connection_limit = -1};
    struct options options = {.database = &made};
    TRY(read_options(ddl, statement->options, true, &options));
    TRY(find_owner(ddl, options.owner, &made.owner));
    if (!may_create(ddl)) {
        return diag_set(
            ddl->diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied to create database");
    }
    const struct database *template;
    TRY(find_template(ddl, options.template, &template));
    bool taken = catalog_database(ddl->catalog, made.name) != NULL;
    if (!taken) {
        TRY(catalog_new_oid(ddl->task, context->store, &made.oid, ddl->diag));
        TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_DATABASE, 0,
            made.name, made.oid, &taken, ddl->diag));
    }
    if (taken) {
        return diag_set(
            ddl->diag, ERR_DUPLICATE_DATABASE, "database \"%s\" already exists", made.name);
    }
    struct catalog *from = NULL;
    TRY(catalog_get_database(ddl->task, context->store, context->txn,
        template == NULL ? DATABASE_POSTGRES : template->oid, &from, ddl->diag));
    enum err err = template == NULL ? ERR_OK : check_empty(ddl, from, template);
    err = err == ERR_OK ? fill(ddl, from, template, &made) : err;
    catalog_release(from);
    TRY(err);
    return put_database(ddl, &made);
}

/* ---- DROP -------------------------------------------------------------------------------------
 */

/* Trees of the database's relations, whose locks keep out who works through all tables. */
static enum err
drop_trees(struct ddl *ddl, oid_t database)
{
    struct ddl_context *context = ddl->context;
    const struct catalog *whole = catalog_whole(ddl->catalog);
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(whole, i)) != NULL; i++) {
        if (relation->database != database) {
            continue;
        }
        if (relation->tree.v != 0) {
            TRY(txn_tree_drop(ddl->task, context->txn, relation->tree, ddl->diag));
        }
        for (uint16_t k = 0; k < relation->index_count; k++) {
            if (!relation->indexes[k].primary) {
                TRY(txn_tree_drop(ddl->task, context->txn, relation->indexes[k].tree, ddl->diag));
            }
        }
    }
    return ERR_OK;
}

/* Nobody is in the database; what runs by itself goes through the tables' locks. */
static enum err
lock_relations(struct ddl *ddl, oid_t database)
{
    struct ddl_context *context = ddl->context;
    const struct catalog *whole = catalog_whole(ddl->catalog);
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(whole, i)) != NULL; i++) {
        if (relation->database == database) {
            TRY(txn_lock_table(ddl->task, context->txn, relation->oid, relation->name,
                TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
        }
    }
    return ddl__refresh(ddl);
}

/* A group's tables are all of one database (ddl__define_sharding). */
static enum err
drop_groups(struct ddl *ddl, const struct catalog *catalog)
{
    struct ddl_context *context = ddl->context;
    const struct relation *relation;
    const struct bucket_group *last = NULL;
    for (size_t i = 0; (relation = catalog_relation_at(catalog, i)) != NULL; i++) {
        struct bucket_group *group =
            relation->sharding == NULL ? NULL : relation->sharding->ownership;
        if (group != NULL && group != last) {
            TRY(buckets_remove_group(ddl->task, context->store, context->txn, group, ddl->diag));
            last = group;
        }
    }
    return ERR_OK;
}

static enum err
drop_all(struct ddl *ddl, oid_t database)
{
    struct ddl_context *context = ddl->context;
    struct catalog *catalog = NULL;
    TRY(lock_relations(ddl, database));
    TRY(drop_trees(ddl, database));
    TRY(catalog_get_database(
        ddl->task, context->store, context->txn, database, &catalog, ddl->diag));
    enum err err = drop_groups(ddl, catalog);
    if (err == ERR_OK) {
        err = catalog_database_remove(
            ddl->task, context->store, context->txn, catalog, database, ddl->diag);
    }
    catalog_release(catalog);
    return err;
}

enum err
ddl__drop_database(struct ddl *ddl, const char *name, bool force, bool *found)
{
    struct ddl_context *context = ddl->context;
    const struct database *database = catalog_database(ddl->catalog, name);
    *found = database != NULL;
    if (database == NULL) {
        return ERR_OK;
    }
    TRY(ddl__check_owner(ddl, database->owner, "database", name));
    TRY(lock_database(ddl, name, &database));
    TRY(ddl__check_owner(ddl, database->owner, "database", name));
    if (database->is_template) {
        return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "cannot drop a template database");
    }
    if (strcmp(name, context->env->database) == 0) {
        return diag_set(ddl->diag, ERR_OBJECT_IN_USE, "cannot drop the currently open database");
    }
    TRY(check_alone(ddl, database, "database", force));
    TRY(others_follow(ddl, name, NULL));
    TRY(drop_all(ddl, database->oid));
    TRY(catalog_name_remove(
        ddl->task, context->store, context->txn, CATALOG_NAME_DATABASE, 0, name, ddl->diag));
    return ddl__changed(ddl);
}

/* ---- ALTER ------------------------------------------------------------------------------------
 */

enum err
ddl__alter_database(struct ddl *ddl, const struct ast_alter_database *statement)
{
    const struct database *database;
    TRY(ddl__find_database(ddl, statement->name, &database));
    TRY(ddl__check_owner(ddl, database->owner, "database", database->name));
    if (statement->set != NULL) {
        return ddl__put_settings(ddl, database->oid, 0, statement->set);
    }
    struct database changed = *database;
    struct options options = {.database = &changed};
    TRY(read_options(ddl, statement->options, false, &options));
    if (changed.no_connections && strcmp(changed.name, ddl->context->env->database) == 0) {
        return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE,
            "cannot disallow connections for current database");
    }
    return put_database(ddl, &changed);
}

enum err
ddl__rename_database(struct ddl *ddl, const char *from, const char *to)
{
    struct ddl_context *context = ddl->context;
    const struct database *database;
    bool taken;
    TRY(lock_database(ddl, from, &database));
    TRY(ddl__check_owner(ddl, database->owner, "database", from));
    if (!may_create(ddl)) {
        return diag_set(
            ddl->diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied to rename database");
    }
    if (catalog_database(ddl->catalog, to) != NULL) {
        return diag_set(ddl->diag, ERR_DUPLICATE_DATABASE, "database \"%s\" already exists", to);
    }
    if (strcmp(from, context->env->database) == 0) {
        return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "current database cannot be renamed");
    }
    TRY(check_alone(ddl, database, "database", false));
    TRY(others_follow(ddl, from, to));
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_DATABASE, 0, to,
        database->oid, &taken, ddl->diag));
    if (taken) {
        return diag_set(ddl->diag, ERR_DUPLICATE_DATABASE, "database \"%s\" already exists", to);
    }
    TRY(catalog_name_remove(
        ddl->task, context->store, context->txn, CATALOG_NAME_DATABASE, 0, from, ddl->diag));
    struct database changed = *database;
    changed.name = to;
    return put_database(ddl, &changed);
}

enum err
ddl__give_database(struct ddl *ddl, const char *name, const char *owner)
{
    const struct database *database;
    TRY(ddl__find_database(ddl, name, &database));
    TRY(ddl__check_owner(ddl, database->owner, "database", name));
    struct database changed = *database;
    oid_t before = changed.owner;
    TRY(ddl__new_owner(ddl, owner, &changed.owner));
    if (!is_superuser(ddl) && !may_create(ddl)) {
        return diag_set(
            ddl->diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied to change owner of database");
    }
    TRY(ddl__grants_follow_owner(ddl, CATALOG_CLASS_DATABASE, changed.oid, changed.owner));
    TRY(put_database(ddl, &changed));
    /* Schema public is its database's owner's, unless it has been given to somebody else. */
    const struct catalog *whole = catalog_whole(ddl->catalog);
    struct catalog_entry schema;
    for (size_t i = 0; catalog_schema_at(whole, i, &schema); i++) {
        if (schema.database == changed.oid && schema.owner == before &&
            strcmp(schema.name, "public") == 0) {
            TRY(ddl__grants_follow_owner(ddl, CATALOG_CLASS_SCHEMA, schema.oid, changed.owner));
            schema.owner = changed.owner;
            TRY(catalog_schema_put(
                ddl->task, ddl->context->store, ddl->context->txn, &schema, ddl->diag));
            return ddl__changed(ddl);
        }
    }
    return ERR_OK;
}
