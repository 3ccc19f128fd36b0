/* sql/ddl/create_index.c - CREATE INDEX. */
#include "sql/ddl/ddl_internal.h"

static enum err
refuse(struct ddl *ddl, const struct ast_create_index *statement)
{
    if (statement->method != NULL && strcmp(statement->method, "btree") != 0) {
        static const char *const known[] = {"hash", "gist", "gin", "spgist", "brin"};
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (strcmp(statement->method, known[i]) == 0) {
                return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                    "access method \"%s\" is not supported", statement->method);
            }
        }
        return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT, "access method \"%s\" does not exist",
            statement->method);
    }
    if (statement->where != NULL) {
        return ddl__unsupported(ddl, "a partial index", statement->where->location);
    }
    if (ast_list_count(statement->including) > 0) {
        return ddl__unsupported(ddl, "INCLUDE", -1);
    }
    if (statement->nulls_not_distinct) {
        return ddl__unsupported(ddl, "NULLS NOT DISTINCT", -1);
    }
    TRY(ddl__check_tablespace(ddl, statement->tablespace));
    return ddl__check_options(ddl, statement->options, true);
}

/* The default class of the type, by its name, or one that orders texts by their bytes: all of ours
 * do (collation C), so they are the same index. */
static enum err
check_operator_class(struct ddl *ddl, const struct ast_index_column *item, oid_t type_oid)
{
    static const char *const of_texts[] = {
        "text_ops", "varchar_ops", "text_pattern_ops", "varchar_pattern_ops", NULL};
    static const char *const of_blank_padded[] = {"bpchar_ops", "bpchar_pattern_ops", NULL};
    const char *name = item->operator_class;
    const struct type *type = type_by_oid(type_oid);
    const char *const *fitting = type_oid == TYPE_TEXT || type_oid == TYPE_VARCHAR ? of_texts
                                 : type_oid == TYPE_BPCHAR                         ? of_blank_padded
                                                                                   : NULL;
    for (; fitting != NULL && *fitting != NULL; fitting++) {
        if (strcmp(name, *fitting) == 0) {
            return ERR_OK;
        }
    }
    size_t size = strlen(type->name);
    if (strncmp(name, type->name, size) == 0 && strcmp(name + size, "_ops") == 0) {
        return ERR_OK;
    }
    (void)diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
        "operator class \"%s\" is not supported for type %s", name, type->name);
    diag_hint(ddl->diag, "Leave it out: the default class is used.");
    return ERR_FEATURE_NOT_SUPPORTED;
}

static enum err
add_column(struct ddl *ddl, const struct relation *table, struct index *index,
    const struct ast_index_column *item)
{
    if (item->name == NULL) {
        return ddl__unsupported(ddl, "an index on an expression", item->node.location);
    }
    int column = relation_column(table, item->name);
    if (column < 0) {
        return diag_set(
            ddl->diag, ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", item->name);
    }
    if (index->column_count == INDEX_COLUMNS_MAX) {
        return diag_set(ddl->diag, ERR_TOO_MANY_COLUMNS,
            "cannot use more than %d columns in an index", INDEX_COLUMNS_MAX);
    }
    if (item->operator_class != NULL) {
        TRY(check_operator_class(ddl, item, table->columns[column].type));
    }
    if (item->collation != NULL && strcmp(item->collation, "C") != 0 &&
        strcmp(item->collation, "POSIX") != 0 && strcmp(item->collation, "default") != 0) {
        return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
            "collation \"%s\" for encoding \"UTF8\" does not exist", item->collation);
    }
    TRY(ddl__key_type(ddl, table->columns[column].type, item->node.location));
    bool descending = item->order == AST_SORT_DESC;
    bool nulls_first =
        item->nulls == AST_NULLS_DEFAULT ? descending : item->nulls == AST_NULLS_FIRST;
    index->columns[index->column_count] = (uint16_t)column;
    index->flags[index->column_count] =
        (uint8_t)((descending ? KEY_DESCENDING : 0) | (nulls_first ? KEY_NULLS_FIRST : 0));
    index->column_count++;
    return ERR_OK;
}

enum err
ddl__create_index(struct ddl *ddl, const struct ast_create_index *statement)
{
    struct ddl_context *context = ddl->context;
    const struct relation *table;
    TRY(refuse(ddl, statement));
    /* SHARE: no writer has anything uncommitted in the table from here on (D2). CONCURRENTLY is
     * built in the same way. */
    TRY(ddl__lock_relation_as(
        ddl, statement->table, TXN_SHARE, false, ddl__check_relation_owner, &table));
    if (table->kind != RELATION_TABLE) {
        enum err err = diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE,
            "cannot create index on relation \"%s\"", table->name);
        diag_detail(ddl->diag, "This operation is not supported for %s.",
            table->kind == RELATION_VIEW ? "views" : "sequences");
        return err;
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    struct index index = {.name = statement->name, .unique = statement->unique};
    AST_FOREACH(at, statement->columns)
    {
        TRY(add_column(ddl, table, &index, ast_as_index_column(*at)));
    }
    if (index.name == NULL) {
        index.name = ddl__choose_name(ddl, edit,
            ddl__column_part(ddl->arena, table, index.columns, index.column_count), "idx", true);
    }
    const struct relation *other;
    const struct index *other_index;
    ddl__in_schema(ddl, table->schema_name, index.name, &other, &other_index);
    bool taken = other != NULL;
    if (!taken) {
        TRY(catalog_new_oid(ddl->task, context->store, &index.oid, ddl->diag));
        TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION,
            table->schema, index.name, index.oid, &taken, ddl->diag));
    }
    if (taken && statement->if_not_exists) {
        ddl__notice(
            ddl, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists, skipping", index.name);
        return ERR_OK;
    }
    if (taken) {
        return diag_set(
            ddl->diag, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", index.name);
    }
    /* Two index builds hold SHARE together; the record of the table is written by one of them at a
     * time, by the exclusive lock on this name: "the table's list of indexes". */
    TRY(txn_lock_table(ddl->task, context->txn, DDL__INDEX_LIST_LOCK | table->oid, table->name,
        TXN_EXCLUSIVE, TXN_WAIT, ddl->diag));
    TRY(ddl__find_again(ddl, table->oid, &table));
    edit = ddl__edit_new(ddl, table);

    TRY(txn_tree_create(ddl->task, context->txn, &index.tree, ddl->diag));
    TRY(ddl__build_index(ddl, table, &index));
    *ddl__edit_add_index(ddl, edit) = index;
    return ddl__edit_store(ddl, edit);
}
