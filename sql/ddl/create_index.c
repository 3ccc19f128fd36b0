/* sql/ddl/create_index.c - CREATE INDEX. */
#include "sql/bind/bind.h"
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

/* ---- columns and expressions -----------------------------------------------------------------
 */

/* Of several equal names in one index the second is name1, and so on. */
static const char *
derived_name(struct ddl *ddl, const struct ddl__edit *edit, const struct index *index,
    const struct ast_node *node)
{
    const char *base = bind_column_name(node);
    base = strcmp(base, "?column?") == 0 ? "expr" : base;
    const char *name = base;
    for (uint32_t number = 1;; number++) {
        bool taken = false;
        for (uint16_t i = 0; i < index->column_count; i++) {
            uint16_t column = index->columns[i];
            const char *other = column < INDEX_DERIVED ? edit->columns[column].name
                                                       : edit->derived[column - INDEX_DERIVED].name;
            taken |= strcmp(other, name) == 0;
        }
        if (!taken) {
            return name;
        }
        name = arena_printf(ddl->arena, "%s%u", base, number);
    }
}

static enum err
add_expression(struct ddl *ddl, struct ddl__edit *edit, const struct index *index,
    const struct ast_index_column *item, uint16_t *column)
{
    struct ddl_context *context = ddl->context;
    struct derived derived = {0};
    struct expr *expr;
    TRY(context->hooks->describe_index(
        ddl->task, context, item->expr, &edit->relation, false, &derived.text, &expr));
    TRY(ddl__check_immutable(ddl, expr, "functions in index expression must be marked IMMUTABLE"));
    derived.type = expr->type;
    derived.typmod = expr->typmod;
    derived.name = derived_name(ddl, edit, index, item->expr);
    *column = (uint16_t)(INDEX_DERIVED + ddl__edit_add_derived(ddl, edit, &derived));
    return ERR_OK;
}

/* (a) is the column a. */
static const char *
plain_name(const struct ast_index_column *item)
{
    if (item->name == NULL && item->expr->kind == AST_COLUMN &&
        ast_as_column(item->expr)->count == 1 && !ast_as_column(item->expr)->star) {
        return ast_as_column(item->expr)->parts[0];
    }
    return item->name;
}

static enum err
add_column(struct ddl *ddl, struct ddl__edit *edit, struct index *index,
    const struct ast_index_column *item)
{
    const struct relation *table = &edit->relation;
    const char *name = plain_name(item);
    uint16_t at = 0;
    if (index->column_count == INDEX_COLUMNS_MAX) {
        return diag_set(ddl->diag, ERR_TOO_MANY_COLUMNS,
            "cannot use more than %d columns in an index", INDEX_COLUMNS_MAX);
    }
    if (name != NULL) {
        int column = relation_column(table, name);
        if (column < 0) {
            return diag_set(ddl->diag, ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", name);
        }
        at = (uint16_t)column;
    } else {
        TRY(add_expression(ddl, edit, index, item, &at));
    }
    index->columns[index->column_count] = at;
    oid_t type = index_column_type(&edit->relation, index, index->column_count);
    if (item->operator_class != NULL) {
        TRY(check_operator_class(ddl, item, type));
    }
    if (item->collation != NULL && strcmp(item->collation, "C") != 0 &&
        strcmp(item->collation, "POSIX") != 0 && strcmp(item->collation, "default") != 0) {
        return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
            "collation \"%s\" for encoding \"UTF8\" does not exist", item->collation);
    }
    TRY(ddl__key_type(ddl, type, item->node.location));
    bool descending = item->order == AST_SORT_DESC;
    bool nulls_first =
        item->nulls == AST_NULLS_DEFAULT ? descending : item->nulls == AST_NULLS_FIRST;
    index->flags[index->column_count] =
        (uint8_t)((descending ? KEY_DESCENDING : 0) | (nulls_first ? KEY_NULLS_FIRST : 0));
    index->column_count++;
    return ERR_OK;
}

enum err
ddl__include_column(struct ddl *ddl, const struct relation *table, struct index *index,
    const char *name, int32_t location)
{
    int column = name == NULL ? -1 : relation_column(table, name);
    if (name == NULL) {
        return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
            "expressions are not supported in included columns");
    }
    if (column < 0) {
        enum err err = index->constraint ? diag_set(ddl->diag, ERR_UNDEFINED_COLUMN,
                                               "column \"%s\" named in key does not exist", name)
                                         : diag_set(ddl->diag, ERR_UNDEFINED_COLUMN,
                                               "column \"%s\" does not exist", name);
        return index->constraint ? ddl__at(ddl, err, location) : err;
    }
    if (index->column_count + index->included_count == INDEX_COLUMNS_MAX) {
        return diag_set(ddl->diag, ERR_TOO_MANY_COLUMNS,
            "cannot use more than %d columns in an index", INDEX_COLUMNS_MAX);
    }
    index->columns[index->column_count + index->included_count++] = (uint16_t)column;
    return ERR_OK;
}

static enum err
add_included(struct ddl *ddl, const struct relation *table, struct index *index,
    const struct ast_index_column *item)
{
    if (item->operator_class != NULL || item->collation != NULL) {
        return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
            "including column does not support %s",
            item->collation != NULL ? "a collation" : "an operator class");
    }
    if (item->order != AST_SORT_DEFAULT || item->nulls != AST_NULLS_DEFAULT) {
        return diag_set(ddl->diag, ERR_INVALID_OBJECT_DEFINITION,
            "including column does not support %s options",
            item->order != AST_SORT_DEFAULT ? "ASC/DESC" : "NULLS FIRST/LAST");
    }
    return ddl__include_column(ddl, table, index, plain_name(item), item->node.location);
}

static enum err
add_condition(
    struct ddl *ddl, struct ddl__edit *edit, struct index *index, const struct ast_node *where)
{
    struct ddl_context *context = ddl->context;
    struct derived derived = {.name = "", .type = TYPE_BOOL, .typmod = -1};
    struct expr *expr;
    TRY(context->hooks->describe_index(
        ddl->task, context, where, &edit->relation, true, &derived.text, &expr));
    TRY(ddl__check_immutable(ddl, expr, "functions in index predicate must be marked IMMUTABLE"));
    index->partial = (uint16_t)(ddl__edit_add_derived(ddl, edit, &derived) + 1);
    return ERR_OK;
}

/* The index that is described, over the edit's table. */
static enum err
describe(struct ddl *ddl, struct ddl__edit *edit, const struct ast_create_index *statement,
    struct index *index)
{
    AST_FOREACH(at, statement->columns)
    {
        TRY(add_column(ddl, edit, index, ast_as_index_column(*at)));
    }
    AST_FOREACH(at, statement->including)
    {
        TRY(add_included(ddl, &edit->relation, index, ast_as_index_column(*at)));
    }
    return statement->where == NULL ? ERR_OK : add_condition(ddl, edit, index, statement->where);
}

enum err
ddl__index_uses(struct ddl *ddl, const struct relation *table, const struct index *index,
    int column, bool *uses)
{
    *uses = false;
    bool *used = arena_array(ddl->arena, table->column_count, sizeof *used);
    for (uint32_t i = 0; i < (uint32_t)index->column_count + index->included_count + 1; i++) {
        bool last = i == (uint32_t)index->column_count + index->included_count;
        uint16_t at = last ? (uint16_t)(INDEX_DERIVED + index->partial - 1) : index->columns[i];
        if (last && index->partial == 0) {
            break;
        }
        if (at < INDEX_DERIVED) {
            used[at] = true;
            continue;
        }
        const struct derived *derived = &table->derived[at - INDEX_DERIVED];
        struct expr *expr;
        TRY(ddl__bind(ddl, derived->text, -1, table, derived->type, derived->typmod, &expr));
        TRY(ddl__columns_used(ddl, expr, used));
    }
    *uses = used[column];
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
    struct index index = {.name = statement->name,
        .unique = statement->unique,
        .nulls_not_distinct = statement->unique && statement->nulls_not_distinct};
    TRY(describe(ddl, edit, statement, &index));
    if (index.name == NULL) {
        uint16_t count = (uint16_t)(index.column_count + index.included_count);
        index.name = ddl__choose_name(ddl, edit,
            ddl__column_part(ddl->arena, &edit->relation, index.columns, count), "idx", true);
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
    struct index again = {.name = index.name,
        .oid = index.oid,
        .unique = index.unique,
        .nulls_not_distinct = index.nulls_not_distinct};
    TRY(describe(ddl, edit, statement, &again)); /* numbers of derived values may be others now */
    TRY(txn_tree_create(ddl->task, context->txn, &again.tree, ddl->diag));
    struct index *added = ddl__edit_add_index(ddl, edit);
    *added = again;
    ddl__edit_complete(ddl, edit);
    TRY(ddl__build_index(ddl, &edit->relation, added));
    return ddl__edit_store(ddl, edit);
}
