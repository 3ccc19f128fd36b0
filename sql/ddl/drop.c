/* sql/ddl/drop.c - DROP, TRUNCATE. */
#include "base/assert.h"
#include "sql/catalog/access.h"
#include "sql/ddl/ddl_internal.h"

/* ---- one relation, one index
 * ---------------------------------------------------------------------- */

static enum err
release_name(struct ddl *ddl, oid_t schema, const char *name)
{
    struct ddl_context *context = ddl->context;
    return catalog_name_remove(
        ddl->task, context->store, context->txn, CATALOG_NAME_RELATION, schema, name, ddl->diag);
}

static enum err
remove_comments(struct ddl *ddl, enum catalog_class_oid class_oid, oid_t oid)
{
    struct ddl_context *context = ddl->context;
    return catalog_comments_remove(
        ddl->task, context->store, context->txn, class_oid, oid, ddl->diag);
}

enum err
ddl__drop_table(struct ddl *ddl, const struct relation *relation)
{
    struct ddl_context *context = ddl->context;
    TRY(ddl__drop_owned_sequences(ddl, relation->oid, -1));
    TRY(txn_tree_drop(ddl->task, context->txn, relation->tree, ddl->diag));
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (!index->primary) {
            TRY(txn_tree_drop(ddl->task, context->txn, index->tree, ddl->diag));
        }
        TRY(release_name(ddl, relation->schema, index->name));
        TRY(remove_comments(ddl, CATALOG_CLASS_RELATION, index->oid));
        TRY(remove_comments(ddl, CATALOG_CLASS_CONSTRAINT, index->oid));
    }
    for (uint16_t i = 0; i < relation->check_count; i++) {
        TRY(remove_comments(ddl, CATALOG_CLASS_CONSTRAINT, relation->checks[i].oid));
    }
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        TRY(remove_comments(ddl, CATALOG_CLASS_CONSTRAINT, relation->foreign[i].oid));
    }
    TRY(release_name(ddl, relation->schema, relation->name));
    TRY(ddl__drop_sharding(ddl, relation));
    TRY(catalog_relation_remove(ddl->task, context->store, context->txn, relation->oid, ddl->diag));
    return ddl__changed(ddl);
}

enum err
ddl__drop_index(struct ddl *ddl, struct ddl__edit *edit, uint16_t at)
{
    const struct index *index = &edit->indexes[at];
    if (!index->primary) {
        TRY(txn_tree_drop(ddl->task, ddl->context->txn, index->tree, ddl->diag));
    }
    TRY(release_name(ddl, edit->relation.schema, index->name));
    TRY(remove_comments(ddl, CATALOG_CLASS_RELATION, index->oid));
    TRY(remove_comments(ddl, CATALOG_CLASS_CONSTRAINT, index->oid));
    ddl__edit_remove_index(edit, at);
    return ERR_OK;
}

/* ---- what is not there
 * ---------------------------------------------------------------------------- */

/* "table", 42P01 and so on, of an object kind. */
static const char *
object_word(enum ast_object object)
{
    switch (object) {
    case AST_OBJECT_TABLE:
        return "table";
    case AST_OBJECT_INDEX:
        return "index";
    case AST_OBJECT_VIEW:
        return "view";
    case AST_OBJECT_MATERIALIZED_VIEW:
        return "materialized view";
    case AST_OBJECT_SEQUENCE:
        return "sequence";
    case AST_OBJECT_SCHEMA:
        return "schema";
    case AST_OBJECT_TYPE:
        return "type";
    case AST_OBJECT_DOMAIN:
        return "type";
    case AST_OBJECT_DATABASE:
        return "database";
    case AST_OBJECT_ROLE:
        return "role";
    case AST_OBJECT_EXTENSION:
        return "extension";
    default:
        return "object";
    }
}

static enum err
missing_code(enum ast_object object)
{
    switch (object) {
    case AST_OBJECT_TABLE:
    case AST_OBJECT_VIEW:
    case AST_OBJECT_MATERIALIZED_VIEW:
    case AST_OBJECT_SEQUENCE:
        return ERR_UNDEFINED_TABLE;
    case AST_OBJECT_SCHEMA:
        return ERR_INVALID_SCHEMA_NAME;
    case AST_OBJECT_DATABASE:
        return ERR_INVALID_CATALOG_NAME;
    default:
        return ERR_UNDEFINED_OBJECT;
    }
}

/* The named object does not exist: an error, or with IF EXISTS a notice. */
static enum err
missing(struct ddl *ddl, const struct ast_drop *statement, const struct ast_table *name)
{
    const char *word = object_word(statement->object);
    const char *schema = name->schema;
    bool schema_missing = schema != NULL && catalog_schema(ddl->catalog, schema) == 0;
    if (statement->if_exists) {
        if (schema_missing) {
            ddl__notice(ddl, ERR_OK, "schema \"%s\" does not exist, skipping", schema);
        } else {
            ddl__notice(ddl, ERR_OK, "%s \"%s\" does not exist, skipping", word, name->name);
        }
        return ERR_OK;
    }
    if (schema_missing) {
        return diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", schema);
    }
    return diag_set(ddl->diag, missing_code(statement->object), "%s \"%s\" does not exist", word,
        schema == NULL ? name->name : arena_printf(ddl->arena, "%s.%s", schema, name->name));
}

static enum err
wrong_kind(struct ddl *ddl, enum ast_object object, const char *name, enum ast_object is)
{
    const char *word = object_word(object);
    bool vowel = strchr("aeiou", word[0]) != NULL;
    enum err err = diag_set(
        ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not %s %s", name, vowel ? "an" : "a", word);
    if (is == AST_OBJECT_INDEX) {
        diag_hint(ddl->diag, "Use DROP INDEX to remove an index.");
    } else if (is == AST_OBJECT_TABLE) {
        diag_hint(ddl->diag, "Use DROP TABLE to remove a table.");
    } else if (is == AST_OBJECT_VIEW) {
        diag_hint(ddl->diag, "Use DROP VIEW to remove a view.");
    } else if (is == AST_OBJECT_MATERIALIZED_VIEW) {
        diag_hint(ddl->diag, "Use DROP MATERIALIZED VIEW to remove a materialized view.");
    } else if (is == AST_OBJECT_SEQUENCE) {
        diag_hint(ddl->diag, "Use DROP SEQUENCE to remove a sequence.");
    }
    return err;
}

/* ---- DROP TABLE, DROP INDEX
 * ------------------------------------------------------------------------ */

/* What stands under a name, before any lock. */
static void
look(struct ddl *ddl, const struct ast_table *name, const struct relation **relation,
    const struct index **index)
{
    ddl__in_schema(ddl, name->schema, name->name, relation, index);
}

static enum ast_object
kind_of(const struct relation *relation)
{
    return relation->kind == RELATION_VIEW       ? AST_OBJECT_VIEW
           : relation->kind == RELATION_SEQUENCE ? AST_OBJECT_SEQUENCE
           : relation_is_materialized(relation)  ? AST_OBJECT_MATERIALIZED_VIEW
                                                 : AST_OBJECT_TABLE;
}

/* What refers to these tables, and is not one of them. */
static enum err
release_tables(struct ddl *ddl, const oid_t *oids, uint32_t count, bool cascade)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct relation *relation =
            oids[i] == 0 ? NULL : catalog_relation_by_oid(ddl->catalog, oids[i]);
        if (relation == NULL) {
            continue;
        }
        const char *what = arena_printf(ddl->arena, "table %s", relation->name);
        const struct ddl__dependents dependents = {.table = oids[i],
            .column = -1,
            .doomed = oids,
            .doomed_count = count,
            .what = what,
            .on = what,
            .cascade = cascade};
        TRY(ddl__release_dependents(ddl, &dependents));
    }
    return ERR_OK;
}

/* DROP TABLE, DROP VIEW. */
static enum err
drop_tables(struct ddl *ddl, const struct ast_drop *statement)
{
    enum ast_object object = statement->object;
    /* All are locked and looked at before the first goes, as one name may be missing. */
    uint32_t count = ast_list_count(statement->names);
    oid_t *oids = arena_array(ddl->arena, count, sizeof *oids);
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_table *name = ast_as_table(ast_list_at(statement->names, i));
        const struct relation *relation;
        const struct index *index;
        look(ddl, name, &relation, &index);
        if (index != NULL) {
            return wrong_kind(ddl, object, name->name, AST_OBJECT_INDEX);
        }
        if (relation != NULL && relation->kind != RELATION_VIRTUAL && kind_of(relation) != object) {
            return wrong_kind(ddl, object, name->name, kind_of(relation));
        }
        TRY(ddl__lock_relation_as(
            ddl, name, TXN_ACCESS_EXCLUSIVE, true, ddl__check_relation_owner, &relation));
        if (relation == NULL) {
            TRY(missing(ddl, statement, name));
            continue;
        }
        if (kind_of(relation) != object) {
            return wrong_kind(ddl, object, name->name, kind_of(relation));
        }
        TRY(ddl__check_pending(ddl, relation, "DROP TABLE"));
        oids[i] = relation->oid;
    }
    TRY(release_tables(ddl, oids, count, statement->cascade));
    for (uint32_t i = 0; i < count; i++) {
        if (oids[i] != 0) {
            TRY(ddl__drop_dependents(ddl, oids[i], 0, statement->cascade, oids, count));
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct relation *relation =
            oids[i] == 0 ? NULL : catalog_relation_by_oid(ddl->catalog, oids[i]);
        if (relation != NULL) { /* NULL: named twice */
            TRY(object == AST_OBJECT_VIEW ? ddl__drop_view(ddl, relation)
                : object == AST_OBJECT_SEQUENCE
                    ? ddl__drop_sequence(ddl, relation, statement->cascade)
                    : ddl__drop_table(ddl, relation));
        }
    }
    return ERR_OK;
}

static enum err
drop_one_index(struct ddl *ddl, const struct ast_drop *statement, const struct ast_table *name)
{
    oid_t locked = 0;
    for (;;) {
        const struct relation *table;
        const struct index *index;
        TRY(ddl__refresh(ddl));
        look(ddl, name, &table, &index);
        if (table == NULL) {
            return missing(ddl, statement, name);
        }
        if (index == NULL) {
            return wrong_kind(ddl, AST_OBJECT_INDEX, name->name, AST_OBJECT_TABLE);
        }
        TRY(ddl__check_owner(ddl, table->owner, "index", index->name));
        if (index->constraint) {
            enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
                "cannot drop index %s because constraint %s on table %s requires it", index->name,
                index->name, table->name);
            diag_hint(ddl->diag, "You can drop constraint %s on table %s instead.", index->name,
                table->name);
            return err;
        }
        if (table->oid != locked) {
            TRY(txn_lock_table(ddl->task, ddl->context->txn, table->oid, table->name,
                TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
            locked = table->oid;
            continue; /* D1 */
        }
        const char *what = arena_printf(ddl->arena, "index %s", index->name);
        const struct ddl__dependents dependents = {.table = table->oid,
            .index = index->oid,
            .column = -1,
            .what = what,
            .on = what,
            .cascade = statement->cascade};
        oid_t oid = index->oid;
        TRY(ddl__release_dependents(ddl, &dependents));
        index = catalog_index_by_oid(ddl->catalog, oid, &table);
        ASSERT(index != NULL); /* the table is locked */
        struct ddl__edit *edit = ddl__edit_new(ddl, table);
        TRY(ddl__drop_index(ddl, edit, (uint16_t)(index - table->indexes)));
        return ddl__edit_store(ddl, edit);
    }
}

/* ---- DROP SCHEMA
 * ----------------------------------------------------------------------------------- */

/* Tables of the schema, at most `max` into list; returns how many there are. */
static size_t
tables_of(struct ddl *ddl, oid_t schema, const struct relation **list, size_t max)
{
    size_t count = 0;
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        if (relation->schema == schema &&
            (relation->kind == RELATION_TABLE || relation->kind == RELATION_VIEW ||
                (relation->kind == RELATION_SEQUENCE && relation->sequence->owner_table == 0))) {
            if (count < max) {
                list[count] = relation;
            }
            count++;
        }
    }
    return count;
}

static enum err
schema_in_use(
    struct ddl *ddl, oid_t schema, const char *name, const struct relation **tables, size_t count)
{
    enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
        "cannot drop schema %s because other objects depend on it", name);
    struct buffer detail = {0};
    for (size_t i = 0; i < count && detail.size < DIAG_TEXT_MAX; i++) {
        buffer_printf(&detail, "%s%s %s.%s depends on schema %s", i == 0 ? "" : "\n",
            ddl__relation_word(tables[i]), name, tables[i]->name, name);
    }
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(ddl->catalog, i)) != NULL; i++) {
        if (type->schema == schema && detail.size < DIAG_TEXT_MAX) {
            buffer_printf(&detail, "%stype %s.%s depends on schema %s",
                detail.size == 0 ? "" : "\n", name, type->name, name);
        }
    }
    const struct user_function *function;
    for (size_t i = 0; (function = catalog_function_at(ddl->catalog, i)) != NULL; i++) {
        if (function->schema == schema && detail.size < DIAG_TEXT_MAX) {
            buffer_printf(&detail, "%sfunction %s.%s depends on schema %s",
                detail.size == 0 ? "" : "\n", name, ddl__function_shown(ddl, function), name);
        }
    }
    diag_detail(ddl->diag, "%.*s", (int)detail.size, (const char *)detail.data);
    diag_hint(ddl->diag, "Use DROP ... CASCADE to drop the dependent objects too.");
    buffer_destroy(&detail);
    return err;
}

/* Those of the schema; *first: one of them. */
static size_t
functions_of(struct ddl *ddl, oid_t schema, const struct user_function **first)
{
    size_t count = 0;
    const struct user_function *function;
    for (size_t i = 0; (function = catalog_function_at(ddl->catalog, i)) != NULL; i++) {
        if (function->schema == schema) {
            *first = function;
            count++;
        }
    }
    return count;
}

static enum err
drop_schema(struct ddl *ddl, const struct ast_drop *statement, const struct ast_table *item)
{
    struct ddl_context *context = ddl->context;
    const char *name = item->name;
    oid_t schema = catalog_schema(ddl->catalog, name);
    if (schema == 0) {
        return missing(ddl, statement, item);
    }
    if (schema == NAMESPACE_PG_CATALOG || schema == NAMESPACE_INFORMATION_SCHEMA) {
        return diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
            "cannot drop schema %s because it is required by the database system", name);
    }
    TRY(ddl__check_schema_owner(ddl, schema, name));
    TRY(txn_lock_table(
        ddl->task, context->txn, schema, name, TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
    TRY(ddl__refresh(ddl));
    if (catalog_schema(ddl->catalog, name) != schema) {
        return missing(ddl, statement, item);
    }
    size_t type_count = 0;
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(ddl->catalog, i)) != NULL; i++) {
        type_count += type->schema == schema ? 1 : 0;
    }
    size_t count = tables_of(ddl, schema, NULL, 0);
    const struct relation **tables = arena_array(ddl->arena, count, sizeof(struct relation *));
    (void)tables_of(ddl, schema, tables, count);
    const struct user_function *function = NULL;
    size_t function_count = functions_of(ddl, schema, &function);
    if (count + type_count + function_count > 0 && !statement->cascade) {
        return schema_in_use(ddl, schema, name, tables, count);
    }
    if (count + type_count == 0 && function_count == 1) {
        ddl__notice(ddl, ERR_OK, "drop cascades to function %s.%s", name,
            ddl__function_shown(ddl, function));
    } else if (count == 1 && type_count + function_count == 0) {
        ddl__notice(ddl, ERR_OK, "drop cascades to %s %s.%s", ddl__relation_word(tables[0]), name,
            tables[0]->name);
    } else if (count + type_count + function_count > 1) {
        ddl__notice(
            ddl, ERR_OK, "drop cascades to %zu other objects", count + type_count + function_count);
    }
    oid_t *oids = arena_array(ddl->arena, count, sizeof *oids);
    for (size_t i = 0; i < count; i++) {
        oids[i] = tables[i]->oid;
        TRY(txn_lock_table(ddl->task, context->txn, oids[i], tables[i]->name, TXN_ACCESS_EXCLUSIVE,
            TXN_WAIT, ddl->diag));
    }
    TRY(ddl__refresh(ddl));
    TRY(release_tables(ddl, oids, (uint32_t)count, true));
    for (size_t i = 0; i < count; i++) {
        if (catalog_relation_by_oid(ddl->catalog, oids[i]) != NULL) {
            TRY(ddl__drop_dependents(ddl, oids[i], 0, true, oids, count));
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct relation *table = catalog_relation_by_oid(ddl->catalog, oids[i]);
        if (table != NULL) {
            TRY(table->kind == RELATION_VIEW       ? ddl__drop_view(ddl, table)
                : table->kind == RELATION_SEQUENCE ? ddl__drop_sequence(ddl, table, true)
                                                   : ddl__drop_table(ddl, table));
        }
    }
    for (size_t i = 0; (type = catalog_type_at(ddl->catalog, i)) != NULL;) {
        if (type->schema != schema) {
            i++;
            continue;
        }
        if (count + function_count == 0 && type_count == 1) {
            ddl__notice(ddl, ERR_OK, "drop cascades to type %s.%s", name, type->name);
        }
        TRY(txn_lock_table(ddl->task, context->txn, type->oid, type->name, TXN_ACCESS_EXCLUSIVE,
            TXN_WAIT, ddl->diag));
        TRY(ddl__drop_user_type(ddl, type->oid, true, true));
        i = 0; /* in another picture */
    }
    while (functions_of(ddl, schema, &function) > 0) {
        TRY(ddl__drop_function(ddl, function));
    }
    TRY(ddl__forget_defaults_in(ddl, schema));
    struct catalog_entry entry;
    if (catalog_schema_by_oid(ddl->catalog, schema, &entry)) {
        TRY(catalog_name_remove(ddl->task, context->store, context->txn, CATALOG_NAME_SCHEMA,
            catalog_schema_parent(entry.database), name, ddl->diag));
    }
    TRY(catalog_schema_remove(ddl->task, context->store, context->txn, schema, ddl->diag));
    return ddl__changed(ddl);
}

/* ---- DROP
 * ------------------------------------------------------------------------------------------ */

/* Kinds of which there are none, or none that can be dropped. */
static enum err
drop_other(struct ddl *ddl, const struct ast_drop *statement, const struct ast_table *name)
{
    bool exists = false; /* and is gone now */
    switch (statement->object) {
    case AST_OBJECT_DATABASE:
        TRY(ddl__drop_database(ddl, name->name, statement->force, &exists));
        if (exists) {
            return ERR_OK;
        }
        break;
    case AST_OBJECT_ROLE:
        return ddl__drop_role(ddl, name->name, statement->if_exists);
    case AST_OBJECT_TYPE:
    case AST_OBJECT_DOMAIN:
        TRY(ddl__drop_type(ddl, statement, name, &exists));
        if (exists) {
            return ERR_OK;
        }
        break;
    case AST_OBJECT_EXTENSION:
        break;
    default:
        return ddl__unsupported(ddl, "dropping this kind of object", -1);
    }
    return missing(ddl, statement, name);
}

enum err
ddl__drop(struct ddl *ddl, const struct ast_drop *statement)
{
    if (statement->object == AST_OBJECT_TABLE || statement->object == AST_OBJECT_VIEW ||
        statement->object == AST_OBJECT_MATERIALIZED_VIEW ||
        statement->object == AST_OBJECT_SEQUENCE) {
        return drop_tables(ddl, statement);
    }
    AST_FOREACH(at, statement->names)
    {
        const struct ast_table *name = ast_as_table(*at);
        TRY(ddl__refresh(ddl));
        if (statement->object == AST_OBJECT_INDEX) {
            TRY(drop_one_index(ddl, statement, name));
        } else if (statement->object == AST_OBJECT_SCHEMA) {
            TRY(drop_schema(ddl, statement, name));
        } else {
            TRY(drop_other(ddl, statement, name));
        }
    }
    return ERR_OK;
}

/* ---- TRUNCATE
 * -------------------------------------------------------------------------------------- */

struct doomed {
    oid_t *oids;
    uint32_t count, capacity;
};

static bool
doomed_has(const struct doomed *doomed, oid_t oid)
{
    for (uint32_t i = 0; i < doomed->count; i++) {
        if (doomed->oids[i] == oid) {
            return true;
        }
    }
    return false;
}

static void
doomed_add(struct ddl *ddl, struct doomed *doomed, oid_t oid)
{
    if (doomed_has(doomed, oid)) {
        return;
    }
    if (doomed->count == doomed->capacity) {
        uint32_t capacity = doomed->capacity == 0 ? 8 : doomed->capacity * 2;
        oid_t *oids = arena_array(ddl->arena, capacity, sizeof *oids);
        if (doomed->count > 0) {
            memcpy(oids, doomed->oids, doomed->count * sizeof *oids);
        }
        doomed->oids = oids;
        doomed->capacity = capacity;
    }
    doomed->oids[doomed->count++] = oid;
}

/* CASCADE: also the tables that refer to one of them, and so on; each locked as it is found. */
static enum err
add_referencing(struct ddl *ddl, struct doomed *doomed)
{
    for (uint32_t i = 0; i < doomed->count; i++) {
        const struct relation *table;
        TRY(ddl__find_again(ddl, doomed->oids[i], &table));
        for (uint32_t k = 0; k < table->referencing_count; k++) {
            oid_t oid = table->referencing[k]->table->oid;
            if (doomed_has(doomed, oid)) {
                continue;
            }
            const struct relation *other = table->referencing[k]->table;
            ddl__notice(ddl, ERR_OK, "truncate cascades to table \"%s\"", other->name);
            TRY(txn_lock_table(ddl->task, ddl->context->txn, oid, other->name, TXN_ACCESS_EXCLUSIVE,
                TXN_WAIT, ddl->diag));
            TRY(ddl__find_again(ddl, doomed->oids[i], &table));
            doomed_add(ddl, doomed, oid);
            k = UINT32_MAX; /* the list may be another now: from its beginning */
        }
    }
    return ERR_OK;
}

static enum err
check_referenced(struct ddl *ddl, const struct doomed *doomed)
{
    for (uint32_t i = 0; i < doomed->count; i++) {
        const struct relation *table;
        TRY(ddl__find_again(ddl, doomed->oids[i], &table));
        for (uint32_t k = 0; k < table->referencing_count; k++) {
            const struct relation *other = table->referencing[k]->table;
            if (doomed_has(doomed, other->oid)) {
                continue;
            }
            enum err err = diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "cannot truncate a table referenced in a foreign key constraint");
            diag_detail(ddl->diag, "Table \"%s\" references \"%s\".", other->name, table->name);
            diag_hint(ddl->diag,
                "Truncate table \"%s\" at the same time, or use TRUNCATE ... CASCADE.",
                other->name);
            return err;
        }
    }
    return ERR_OK;
}

static enum err
check_truncate(struct ddl *ddl, const struct relation *relation)
{
    bool table = relation->kind == RELATION_TABLE && !relation_is_materialized(relation);
    return table ? ddl__check_relation(ddl, relation, PRIVILEGE_TRUNCATE)
                 : diag_set(
                       ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a table", relation->name);
}

enum err
ddl__truncate(struct ddl *ddl, const struct ast_truncate *statement)
{
    struct doomed doomed = {0};
    AST_FOREACH(at, statement->tables)
    {
        const struct relation *relation;
        TRY(ddl__lock_relation_as(
            ddl, ast_as_table(*at), TXN_ACCESS_EXCLUSIVE, false, check_truncate, &relation));
        doomed_add(ddl, &doomed, relation->oid);
    }
    TRY(statement->cascade ? add_referencing(ddl, &doomed) : check_referenced(ddl, &doomed));
    for (uint32_t i = 0; i < doomed.count; i++) {
        const struct relation *relation;
        TRY(ddl__find_again(ddl, doomed.oids[i], &relation));
        TRY(ddl__check_pending(ddl, relation, "TRUNCATE"));
        TRY(catalog_row_ids_settle(ddl->task, ddl->context->store, relation, ddl->diag));
        struct ddl__edit *edit = ddl__edit_new(ddl, relation);
        TRY(ddl__new_trees(ddl, edit, true, NULL));
        TRY(ddl__edit_store(ddl, edit));
        if (statement->restart_identity) {
            TRY(ddl__restart_sequences(ddl, doomed.oids[i]));
        }
    }
    return ERR_OK;
}
