/*
 * sql/ddl/foreign_key.c - foreign keys: making them, checking the rows that are there, and what
 * depends on them.
 */
#include "sql/catalog/foreign_key.h"

#include "base/assert.h"
#include "sql/catalog/access.h"
#include "sql/ddl/ddl_internal.h"

/* ---- columns ----------------------------------------------------------------------------------
 */

static enum err
key_column(struct ddl *ddl, const struct relation *table, const char *name, uint16_t *columns,
    uint16_t *count)
{
    int column = relation_column(table, name);
    if (column < 0) {
        return diag_set(ddl->diag, ERR_UNDEFINED_COLUMN,
            "column \"%s\" referenced in foreign key constraint does not exist", name);
    }
    if (*count == INDEX_COLUMNS_MAX) {
        return diag_set(ddl->diag, ERR_TOO_MANY_COLUMNS,
            "cannot have more than %d keys in a foreign key", INDEX_COLUMNS_MAX);
    }
    columns[(*count)++] = (uint16_t)column;
    return ERR_OK;
}

static enum err
key_columns(struct ddl *ddl, const struct relation *table, const struct ast_list *names,
    uint16_t *columns, uint16_t *count)
{
    *count = 0;
    AST_FOREACH(at, names)
    {
        TRY(key_column(ddl, table, ast_as_name(*at)->text, columns, count));
    }
    return ERR_OK;
}

static bool
has_column(const uint16_t *columns, uint16_t count, uint16_t column)
{
    for (uint16_t i = 0; i < count; i++) {
        if (columns[i] == column) {
            return true;
        }
    }
    return false;
}

/* ON DELETE SET NULL (..) names columns of the key. */
static enum err
set_columns(struct ddl *ddl, const struct relation *table, const struct ast_constraint *constraint,
    struct foreign_key *key)
{
    TRY(key_columns(ddl, table, constraint->set_columns, key->set_columns, &key->set_count));
    for (uint16_t i = 0; i < key->set_count; i++) {
        if (!has_column(key->columns, key->column_count, key->set_columns[i])) {
            return diag_set(ddl->diag, ERR_INVALID_COLUMN_REFERENCE,
                "column \"%s\" referenced in ON DELETE SET action must be part of foreign key",
                table->columns[key->set_columns[i]].name);
        }
    }
    return ERR_OK;
}

/* The primary key, where no columns are named. */
static enum err
default_columns(
    struct ddl *ddl, const struct relation *other, struct foreign_key *key, uint16_t *count)
{
    if (other->primary == NULL) {
        return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
            "there is no primary key for referenced table \"%s\"", other->name);
    }
    *count = other->primary->column_count;
    memcpy(key->referenced_columns, other->primary->columns, *count * sizeof *key->columns);
    key->index = other->primary->oid;
    return ERR_OK;
}

static enum err
find_index(struct ddl *ddl, const struct relation *other, struct foreign_key *key)
{
    for (uint16_t i = 0; i < key->column_count; i++) {
        if (has_column(key->referenced_columns, i, key->referenced_columns[i])) {
            return diag_set(ddl->diag, ERR_INVALID_FOREIGN_KEY,
                "foreign key referenced-columns list must not contain duplicates");
        }
    }
    for (uint16_t i = 0; i < other->index_count; i++) {
        const struct index *index = &other->indexes[i];
        bool same =
            index->unique && !index_has_derived(index) && index->column_count == key->column_count;
        for (uint16_t c = 0; c < index->column_count && same; c++) {
            same = has_column(key->referenced_columns, key->column_count, index->columns[c]);
        }
        if (same) {
            key->index = index->oid;
            return ERR_OK;
        }
    }
    return diag_set(ddl->diag, ERR_INVALID_FOREIGN_KEY,
        "there is no unique constraint matching given keys for referenced table \"%s\"",
        other->name);
}

static enum err
check_types(struct ddl *ddl, const struct relation *table, const struct relation *other,
    const struct foreign_key *key)
{
    for (uint16_t i = 0; i < key->column_count; i++) {
        const struct column *from = &table->columns[key->columns[i]];
        const struct column *to = &other->columns[key->referenced_columns[i]];
        if (!foreign_key_types(from->type, to->type)) {
            enum err err = diag_set(ddl->diag, ERR_DATATYPE_MISMATCH,
                "foreign key constraint \"%s\" cannot be implemented", key->name);
            diag_detail(ddl->diag,
                "Key columns \"%s\" and \"%s\" are of incompatible types: %s and %s.", from->name,
                to->name, type_by_oid(from->type)->sql_name, type_by_oid(to->type)->sql_name);
            return err;
        }
    }
    return ERR_OK;
}

/* ---- adding -----------------------------------------------------------------------------------
 */

static char
action_of(enum ast_fk_action action)
{
    switch (action) {
    case AST_FK_NO_ACTION:
        return FOREIGN_NO_ACTION;
    case AST_FK_RESTRICT:
        return FOREIGN_RESTRICT;
    case AST_FK_CASCADE:
        return FOREIGN_CASCADE;
    case AST_FK_SET_NULL:
        return FOREIGN_SET_NULL;
    case AST_FK_SET_DEFAULT:
        return FOREIGN_SET_DEFAULT;
    }
    ASSERT(false);
    return FOREIGN_NO_ACTION;
}

/* The table referred to: the edit's own, which may not exist yet, or another, locked. */
static enum err
referenced_table(struct ddl *ddl, const struct ddl__edit *edit, const struct ast_table *name,
    const struct relation **other)
{
    const struct relation *own = &edit->relation;
    const struct relation *named =
        catalog_relation_on(ddl->catalog, ddl->context->env->search_path, name->schema, name->name);
    bool self = strcmp(name->name, own->name) == 0 &&
                (name->schema == NULL ? named == NULL || named->oid == own->oid
                                      : strcmp(name->schema, own->schema_name) == 0);
    if (self) {
        *other = own;
        return ERR_OK;
    }
    if (named != NULL && (named->kind != RELATION_TABLE || relation_is_materialized(named))) {
        return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE,
            "referenced relation \"%s\" is not a table", name->name);
    }
    TRY(ddl__lock_relation(ddl, name, TXN_SHARE_ROW_EXCLUSIVE, false, other));
    bool temporary = relation_is_temporary(own);
    if (temporary != relation_is_temporary(*other)) {
        return diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
            "constraints on %s tables may reference only %s tables",
            temporary ? "temporary" : "permanent", temporary ? "temporary" : "permanent");
    }
    return ddl__check_relation(ddl, *other, PRIVILEGE_REFERENCES);
}

static enum err
name_key(struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint,
    struct foreign_key *key)
{
    if (constraint->name == NULL) {
        const char *part =
            ddl__column_part(ddl->arena, &edit->relation, key->columns, key->column_count);
        key->name = ddl__choose_name(ddl, edit, part, "fkey", false);
        return ERR_OK;
    }
    key->name = constraint->name;
    if (ddl__constraint_exists(&edit->relation, key->name)) {
        return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT,
            "constraint \"%s\" for relation \"%s\" already exists", key->name, edit->relation.name);
    }
    return ERR_OK;
}

enum err
ddl__add_foreign(struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint,
    int column, oid_t *oid)
{
    const struct relation *table = &edit->relation, *other;
    struct foreign_key key = {.on_update = action_of(constraint->on_update),
        .on_delete = action_of(constraint->on_delete),
        .full = constraint->match == AST_FK_FULL,
        .deferrable = constraint->deferrable,
        .initially_deferred = constraint->initially_deferred,
        .valid = !constraint->not_valid};
    TRY(referenced_table(ddl, edit, constraint->table, &other));
    if (column >= 0) {
        key.columns[key.column_count++] = (uint16_t)column;
    } else {
        TRY(key_columns(ddl, table, constraint->columns, key.columns, &key.column_count));
    }
    TRY(set_columns(ddl, table, constraint, &key));
    uint16_t count = 0;
    if (constraint->table_columns == NULL) {
        TRY(default_columns(ddl, other, &key, &count));
    } else {
        TRY(key_columns(ddl, other, constraint->table_columns, key.referenced_columns, &count));
    }
    if (constraint->match == AST_FK_PARTIAL) {
        return ddl__at(ddl,
            diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "MATCH PARTIAL not yet implemented"),
            constraint->node.location);
    }
    if (count != key.column_count) {
        return diag_set(ddl->diag, ERR_INVALID_FOREIGN_KEY,
            "number of referencing and referenced columns for foreign key disagree");
    }
    if (key.index == 0) {
        TRY(find_index(ddl, other, &key));
    }
    TRY(name_key(ddl, edit, constraint, &key));
    TRY(check_types(ddl, table, other, &key));
    key.referenced = other->oid;
    TRY(catalog_new_oid(ddl->task, ddl->context->store, &key.oid, ddl->diag));
    *oid = key.oid;
    *ddl__edit_add_foreign(ddl, edit) = key;
    return ERR_OK;
}

/* ---- the rows that are there ------------------------------------------------------------------
 */

struct verify {
    struct ddl *ddl;
    const struct foreign_key *key;
    struct txn_snapshot snapshot;
    struct datum *row, *wanted;
    struct buffer bytes;
    struct arena memory; /* of one row */
};

static enum err
is_referenced_there(struct verify *verify, bool *found)
{
    struct ddl *ddl = verify->ddl;
    const struct foreign_key *key = verify->key;
    const struct index *index = key->referenced_index;
    struct eval eval = {
        .task = ddl->task, .arena = &verify->memory, .diag = ddl->diag, .env = ddl->context->env};
    TRY(foreign_key_to_referenced(&eval, key, verify->row, verify->wanted, found));
    if (!*found) {
        return ERR_OK;
    }
    bool has_null;
    struct txn_row row;
    verify->bytes.size = 0;
    index_key_columns(key->referenced_table, index, verify->wanted, &verify->bytes, &has_null);
    return txn_get(ddl->task, ddl->context->txn, verify->snapshot,
        index->primary ? key->referenced_table->tree : index->tree,
        slice_of(verify->bytes.data, verify->bytes.size), &verify->memory, &row, found, ddl->diag);
}

static enum err
verify_row(struct verify *verify, const struct txn_row *row)
{
    struct ddl *ddl = verify->ddl;
    const struct foreign_key *key = verify->key;
    arena_reset(&verify->memory);
    TRY(task_breathe(ddl->task, ddl->diag));
    for (uint16_t i = 0; i < key->column_count; i++) {
        bool missing;
        TRY(row_column(key->table->layout, row->value, key->columns[i],
            &verify->row[key->columns[i]], &missing, ddl->diag));
    }
    bool found = false;
    switch (foreign_key_match(key, verify->row)) {
    case FOREIGN_FREE:
        return ERR_OK;
    case FOREIGN_MIXED:
        return foreign_key_mixed(key, ddl->diag);
    case FOREIGN_CHECK:
        TRY(is_referenced_there(verify, &found));
        break;
    }
    return found ? ERR_OK
                 : foreign_key_missing(
                       &verify->memory, ddl->context->env, key, verify->row, ddl->diag);
}

enum err
ddl__verify_foreign(struct ddl *ddl, oid_t oid)
{
    struct ddl_context *context = ddl->context;
    const struct foreign_key *key = catalog_foreign_key(ddl->catalog, oid);
    ASSERT(key != NULL);
    struct verify verify = {.ddl = ddl, .key = key};
    verify.row =
        arena_array(ddl->arena, (size_t)key->table->column_count + 1, sizeof(struct datum));
    verify.wanted = arena_array(
        ddl->arena, (size_t)key->referenced_table->column_count + 1, sizeof(struct datum));
    verify.snapshot = catalog_newest_snapshot(context->store, context->txn);
    arena_create(&verify.memory, "foreign key check");
    struct arena memory;
    arena_create(&memory, "foreign key scan");
    struct txn_scan *scan = NULL;
    struct txn_range all = {0};
    enum err err = txn_scan_open(ddl->task, context->txn, verify.snapshot, key->table->tree, &all,
        false, &memory, &scan, ddl->diag);
    bool found = true;
    while (err == ERR_OK && found) {
        struct txn_row row;
        err = txn_scan_next(ddl->task, scan, &row, &found, ddl->diag);
        if (err == ERR_OK && found) {
            err = verify_row(&verify, &row);
        }
    }
    if (scan != NULL) {
        txn_scan_close(ddl->task, scan);
    }
    buffer_destroy(&verify.bytes);
    arena_destroy(&memory);
    arena_destroy(&verify.memory);
    return err;
}

enum err
ddl__recheck_foreign(struct ddl *ddl, oid_t oid, uint16_t column)
{
    const struct relation *table;
    TRY(ddl__find_again(ddl, oid, &table));
    for (uint16_t i = 0; i < table->foreign_count; i++) {
        const struct foreign_key *key = &table->foreign[i];
        if (has_column(key->columns, key->column_count, column)) {
            TRY(check_types(ddl, table, key->referenced_table, key));
            TRY(key->valid ? ddl__verify_foreign(ddl, key->oid) : ERR_OK);
        }
    }
    for (uint32_t i = 0; i < table->referencing_count; i++) {
        const struct foreign_key *key = table->referencing[i];
        if (has_column(key->referenced_columns, key->column_count, column)) {
            TRY(txn_lock_table(ddl->task, ddl->context->txn, key->table->oid, key->table->name,
                TXN_SHARE_ROW_EXCLUSIVE, TXN_WAIT, ddl->diag));
            TRY(check_types(ddl, key->table, table, key));
            TRY(key->valid ? ddl__verify_foreign(ddl, key->oid) : ERR_OK);
        }
    }
    return ERR_OK;
}

/* ---- dropping ---------------------------------------------------------------------------------
 */

enum err
ddl__drop_foreign(struct ddl *ddl, oid_t oid)
{
    struct ddl_context *context = ddl->context;
    const struct foreign_key *key = catalog_foreign_key(ddl->catalog, oid);
    if (key == NULL) {
        return ERR_OK;
    }
    oid_t table_oid = key->table->oid;
    TRY(txn_lock_table(ddl->task, context->txn, table_oid, key->table->name, TXN_ACCESS_EXCLUSIVE,
        TXN_WAIT, ddl->diag));
    TRY(ddl__refresh(ddl));
    key = catalog_foreign_key(ddl->catalog, oid);
    if (key == NULL) {
        return ERR_OK; /* gone while we waited for its table */
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, key->table);
    ddl__edit_remove_foreign(edit, (uint16_t)(key - key->table->foreign));
    TRY(catalog_comments_remove(
        ddl->task, context->store, context->txn, CATALOG_CLASS_CONSTRAINT, oid, ddl->diag));
    return ddl__edit_store(ddl, edit);
}

static bool
is_doomed(const struct ddl__dependents *dependents, oid_t table)
{
    for (uint32_t i = 0; i < dependents->doomed_count; i++) {
        if (dependents->doomed[i] == table) {
            return true;
        }
    }
    return false;
}

static bool
depends(const struct ddl__dependents *dependents, const struct foreign_key *key)
{
    if (dependents->index != 0) {
        return key->index == dependents->index;
    }
    if (dependents->column >= 0) {
        return has_column(key->referenced_columns, key->column_count, (uint16_t)dependents->column);
    }
    return key->table->oid != dependents->table; /* its own keys go with it */
}

static enum err
still_needed(struct ddl *ddl, const struct ddl__dependents *dependents,
    const struct foreign_key **keys, uint32_t count)
{
    enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
        "cannot drop %s because other objects depend on it", dependents->what);
    struct buffer detail = {0};
    for (uint32_t i = 0; i < count && detail.size < DIAG_TEXT_MAX; i++) {
        buffer_printf(&detail, "%sconstraint %s on table %s depends on %s", i == 0 ? "" : "\n",
            keys[i]->name, keys[i]->table->name, dependents->on);
    }
    diag_detail(ddl->diag, "%.*s", (int)detail.size, (const char *)detail.data);
    diag_hint(ddl->diag, "Use DROP ... CASCADE to drop the dependent objects too.");
    buffer_destroy(&detail);
    return err;
}

enum err
ddl__release_dependents(struct ddl *ddl, const struct ddl__dependents *dependents)
{
    const struct relation *table = catalog_relation_by_oid(ddl->catalog, dependents->table);
    if (table == NULL || table->referencing_count == 0) {
        return ERR_OK;
    }
    const struct foreign_key **keys =
        arena_array(ddl->arena, table->referencing_count, sizeof(struct foreign_key *));
    oid_t *oids = arena_array(ddl->arena, table->referencing_count, sizeof *oids);
    uint32_t count = 0, all = 0;
    for (uint32_t i = 0; i < table->referencing_count; i++) {
        const struct foreign_key *key = table->referencing[i];
        if (depends(dependents, key)) {
            oids[all++] = key->oid;
            if (!is_doomed(dependents, key->table->oid)) {
                keys[count++] = key;
            }
        }
    }
    if (count > 0 && !dependents->cascade) {
        return still_needed(ddl, dependents, keys, count);
    }
    if (count == 1) {
        ddl__notice(ddl, ERR_OK, "drop cascades to constraint %s on table %s", keys[0]->name,
            keys[0]->table->name);
    } else if (count > 1) {
        ddl__notice(ddl, ERR_OK, "drop cascades to %u other objects", count);
    }
    for (uint32_t i = 0; i < all; i++) {
        TRY(ddl__drop_foreign(ddl, oids[i]));
    }
    return ERR_OK;
}

enum err
ddl__check_pending(struct ddl *ddl, const struct relation *relation, const char *what)
{
    const struct ddl_context *context = ddl->context;
    if (context->pending == NULL || !context->pending(context->pending_arg, relation->oid)) {
        return ERR_OK;
    }
    return diag_set(ddl->diag, ERR_OBJECT_IN_USE,
        "cannot %s \"%s\" because it has pending trigger events", what, relation->name);
}
