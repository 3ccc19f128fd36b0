/*
 * sql/ddl/reindex.c - REINDEX: secondary indexes made anew from their tables.
 *
 * No index bloats here, so what is left to do for it is to mend one that --check finds to disagree
 * with its table. The primary key's index is the table itself.
 */
#include "sql/ddl/ddl_internal.h"

/* index: that one alone, or (0) all. */
static enum err
rebuild(struct ddl *ddl, const struct relation *table, oid_t index)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    bool *build = arena_array(ddl->arena, table->index_count + 1U, sizeof *build);
    TRY(ddl__check_pending(ddl, table, "REINDEX"));
    for (uint16_t i = 0; i < table->index_count; i++) {
        build[i] = !table->indexes[i].primary && (index == 0 || table->indexes[i].oid == index);
    }
    TRY(ddl__new_trees(ddl, edit, false, build));
    for (uint16_t i = 0; i < table->index_count; i++) {
        if (build[i]) {
            TRY(ddl__build_index(ddl, &edit->relation, &edit->indexes[i]));
        }
    }
    return ddl__edit_store(ddl, edit);
}

static enum err
reindex_index(struct ddl *ddl, const struct ast_table *name)
{
    const struct relation *table;
    const struct index *index;
    TRY(ddl__lock_index(ddl, name, &table, &index));
    if (index == NULL) {
        const struct relation *other = catalog_relation_on(
            ddl->catalog, ddl->context->env->search_path, name->schema, name->name);
        return other != NULL ? diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not an index",
                                   name->name)
                             : diag_set(ddl->diag, ERR_UNDEFINED_TABLE,
                                   "relation \"%s\" does not exist", name->name);
    }
    TRY(ddl__check_owner(ddl, table->owner, "index", index->name));
    return rebuild(ddl, table, index->oid);
}

static enum err
reindex_table(struct ddl *ddl, const struct ast_table *name)
{
    const struct relation *table;
    TRY(ddl__lock_relation(ddl, name, TXN_ACCESS_EXCLUSIVE, false, &table));
    if (table->kind != RELATION_TABLE) {
        return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE,
            "\"%s\" is not a table or materialized view", table->name);
    }
    TRY(ddl__check_relation_owner(ddl, table));
    if (table->index_count == 0) {
        ddl__notice(ddl, ERR_OK, "table \"%s\" has no indexes to reindex", table->name);
        return ERR_OK;
    }
    return rebuild(ddl, table, 0);
}

/* schema 0: of all. */
static enum err
reindex_many(struct ddl *ddl, oid_t schema)
{
    size_t count = 0;
    const struct relation *relation;
    while (catalog_relation_at(ddl->catalog, count) != NULL) {
        count++;
    }
    oid_t *tables = arena_array(ddl->arena, count + 1, sizeof *tables);
    size_t found = 0;
    for (size_t i = 0; (relation = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        if (relation->kind == RELATION_TABLE && relation->index_count > 0 &&
            (schema == 0 || relation->schema == schema)) {
            tables[found++] = relation->oid;
        }
    }
    for (size_t i = 0; i < found; i++) {
        TRY(ddl__refresh(ddl));
        relation = catalog_relation_by_oid(ddl->catalog, tables[i]);
        if (relation == NULL) {
            continue; /* dropped meanwhile */
        }
        TRY(txn_lock_table(ddl->task, ddl->context->txn, relation->oid, relation->name,
            TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
        TRY(ddl__refresh(ddl));
        relation = catalog_relation_by_oid(ddl->catalog, tables[i]);
        if (relation != NULL) {
            TRY(rebuild(ddl, relation, 0));
        }
    }
    return ERR_OK;
}

enum err
ddl__reindex(struct ddl *ddl, const struct ast_reindex *statement)
{
    const struct ast_table *name = statement->name;
    if (strcmp(statement->what, "index") == 0) {
        return reindex_index(ddl, name);
    }
    if (strcmp(statement->what, "table") == 0) {
        return reindex_table(ddl, name);
    }
    if (strcmp(statement->what, "schema") == 0) {
        oid_t schema = catalog_schema(ddl->catalog, name->name);
        if (schema == 0) {
            return diag_set(
                ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", name->name);
        }
        TRY(ddl__check_schema_owner(ddl, schema, name->name));
        return reindex_many(ddl, schema);
    }
    if (strcmp(name->name, ddl->context->env->database) != 0) {
        return diag_set(
            ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "can only reindex the currently open database");
    }
    TRY(ddl__check_database_create(ddl));
    return reindex_many(ddl, 0);
}
