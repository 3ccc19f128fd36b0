/*
 * sql/ddl/shard.c - SHARD BY, REPLICATED, SPLIT AT; and what a sharded table may not have.
 *
 * Each node of a cluster executes the same definitions and comes to the same scheme; where buckets
 * are is not said here. Keys that must be unique contain the shard column, foreign keys stay inside
 * a bucket or lead to a replicated table: then one node can check them.
 */
#include <stdlib.h>

#include "sql/catalog/buckets.h"
#include "sql/ddl/ddl_internal.h"

/* ---- constants ------------------------------------------------------------------------------- */

static enum err
not_a_constant(struct ddl *ddl, const struct ast_node *node)
{
    enum err err = diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
        "a value that rows are sharded by must be a constant");
    return ddl__at(ddl, err, node->location);
}

/* The key of a constant as a value of the column. */
static enum err
constant_key(
    struct ddl *ddl, const struct column *column, const struct ast_node *node, struct slice *key)
{
    if (node->kind != AST_CONST) {
        return not_a_constant(ddl, node);
    }
    const struct ast_const *constant = ast_as_const(node);
    const char *text = constant->kind == AST_CONST_INTEGER
                           ? arena_printf(ddl->arena, "%lld", (long long)constant->integer)
                       : constant->kind == AST_CONST_BOOL ? (constant->boolean ? "true" : "false")
                       : constant->kind == AST_CONST_NUMERIC || constant->kind == AST_CONST_STRING
                           ? constant->text
                           : NULL;
    if (text == NULL) {
        return not_a_constant(ddl, node);
    }
    struct eval eval = {
        .task = ddl->task,
        .arena = ddl->arena,
        .diag = ddl->diag,
        .env = ddl->context->env,
    };
    struct datum value;
    enum err err =
        type_input(&eval, column->type, column->typmod, slice_of(text, strlen(text)), &value);
    if (err != ERR_OK) {
        return ddl__at(ddl, err, node->location);
    }
    struct buffer bytes = {0};
    key_encode(&bytes, column->type, value, 0);
    *key = slice_of(arena_copy(ddl->arena, bytes.data, bytes.size), bytes.size);
    buffer_destroy(&bytes);
    return ERR_OK;
}

/* ---- schemes --------------------------------------------------------------------------------- */

static int
entry_order(const void *a, const void *b)
{
    const struct shard_entry *x = a, *y = b;
    return slice_compare(x->key, y->key);
}

static enum err
sort_entries(struct ddl *ddl, const struct ast_shard *shard, struct shard_entry *entries,
    size_t count, bool sorted)
{
    if (!sorted && count > 1) {
        qsort(entries, count, sizeof *entries, entry_order);
    }
    for (size_t i = 1; i < count; i++) {
        int order = slice_compare(entries[i - 1].key, entries[i].key);
        if (order >= 0) {
            enum err err = diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION, "%s",
                sorted ? "the values at which ranges begin must ascend"
                       : "a value stands in two buckets");
            return ddl__at(ddl, err, shard->node.location);
        }
    }
    return ERR_OK;
}

static enum err
read_range(struct ddl *ddl, const struct ast_shard *shard, const struct column *column,
    struct sharding *sharding)
{
    size_t count = ast_list_count(shard->entries) + 1;
    if (count > SHARD_BUCKETS_MAX) {
        return diag_set(
            ddl->diag, ERR_PROGRAM_LIMIT, "at most %d buckets are possible", SHARD_BUCKETS_MAX);
    }
    struct shard_entry *entries = arena_array(ddl->arena, count, sizeof *entries);
    entries[0].key = slice_of("", 0);
    uint32_t bucket = 0;
    AST_FOREACH(at, shard->entries)
    {
        bucket++;
        TRY(constant_key(ddl, column, *at, &entries[bucket].key));
        entries[bucket].bucket = bucket;
    }
    sharding->scheme.bucket_count = (uint32_t)count;
    sharding->scheme.entry_count = count;
    sharding->scheme.entries = entries;
    return sort_entries(ddl, shard, entries, count, true);
}

static enum err
read_list(struct ddl *ddl, const struct ast_shard *shard, const struct column *column,
    struct sharding *sharding)
{
    uint32_t bucket_count = ast_list_count(shard->entries);
    size_t count = 0, at = 0;
    AST_FOREACH(list, shard->entries)
    {
        count += ast_list_count(ast_as_shard_list(*list)->values);
    }
    if (bucket_count > SHARD_BUCKETS_MAX) {
        return diag_set(
            ddl->diag, ERR_PROGRAM_LIMIT, "at most %d buckets are possible", SHARD_BUCKETS_MAX);
    }
    struct shard_entry *entries = arena_array(ddl->arena, count, sizeof *entries);
    const char **places = arena_array(ddl->arena, bucket_count, sizeof *places);
    uint32_t bucket = 0;
    AST_FOREACH(list, shard->entries)
    {
        places[bucket] = ast_as_shard_list(*list)->on_node;
        AST_FOREACH(value, ast_as_shard_list(*list)->values)
        {
            TRY(constant_key(ddl, column, *value, &entries[at].key));
            entries[at++].bucket = bucket;
        }
        bucket++;
    }
    sharding->scheme.bucket_count = bucket_count;
    sharding->scheme.entry_count = count;
    sharding->scheme.entries = entries;
    sharding->places = places;
    return sort_entries(ddl, shard, entries, count, false);
}

static enum err
colocate(struct ddl *ddl, const struct ast_shard *shard, struct relation *relation,
    struct sharding *sharding)
{
    const struct relation *other;
    TRY(ddl__lock_relation(ddl, shard->colocate, TXN_ACCESS_SHARE, false, &other));
    if (other->sharding == NULL || other->sharding->scheme.kind == SHARD_REPLICATED) {
        enum err err =
            diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "table \"%s\" is not sharded", other->name);
        return ddl__at(ddl, err, shard->colocate->node.location);
    }
    if (!sharding_same(relation, other)) {
        (void)diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
            "table \"%s\" is sharded in another way", other->name);
        diag_hint(ddl->diag, "Tables that are colocated have the same kind and number of buckets, "
                             "and shard columns of the same type.");
        return ddl__at(ddl, ERR_INVALID_TABLE_DEFINITION, shard->colocate->node.location);
    }
    sharding->group = arena_strdup(ddl->arena, other->sharding->group);
    return ERR_OK;
}

/* A group keeps its name when its first table is renamed. Its buckets are called by it throughout
 * the cluster, which knows no databases: so all its tables are of one. */
static enum err
check_group_is_new(struct ddl *ddl, const struct sharding *sharding)
{
    const struct relation *relation;
    const struct catalog *whole = catalog_whole(ddl->catalog);
    for (size_t i = 0; (relation = catalog_relation_at(whole, i)) != NULL; i++) {
        if (relation->sharding == NULL || strcmp(relation->sharding->group, sharding->group) != 0) {
            continue;
        }
        if (relation->database != txn_scope(ddl->context->txn)) {
            const struct database *other = catalog_database_by_oid(whole, relation->database);
            (void)diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "sharded tables of one name in two databases are not supported");
            diag_detail(ddl->diag,
                "The buckets of table \"%s\" of database \"%s\" are called \"%s\".", relation->name,
                other == NULL ? "" : other->name, sharding->group);
            return ERR_FEATURE_NOT_SUPPORTED;
        }
        return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT,
            "the buckets of table \"%s\" are already called \"%s\"", relation->name,
            sharding->group);
    }
    return ERR_OK;
}

enum err
ddl__define_sharding(struct ddl *ddl, struct relation *relation, const struct ast_shard *shard)
{
    struct sharding *sharding = arena_alloc(ddl->arena, sizeof *sharding);
    relation->sharding = sharding;
    sharding->group = arena_printf(ddl->arena, "%s.%s", relation->schema_name, relation->name);
    if (shard->kind == AST_SHARD_EVERYWHERE) {
        sharding->scheme.kind = SHARD_REPLICATED;
        return ERR_OK;
    }
    int column = relation_column(relation, shard->column);
    if (column < 0) {
        enum err err = diag_set(
            ddl->diag, ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", shard->column);
        return ddl__at(ddl, err, shard->node.location);
    }
    sharding->column = (uint16_t)column;
    const struct column *by = &relation->columns[column];
    if (!type_is_ordered(by->type)) {
        enum err err = diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
            "a column of type %s cannot be sharded by", type_by_oid(by->type)->sql_name);
        return ddl__at(ddl, err, shard->node.location);
    }
    if (shard->kind == AST_SHARD_BY_HASH) {
        sharding->scheme.kind = SHARD_HASH;
        if (shard->buckets < 1 || shard->buckets > SHARD_BUCKETS_MAX) {
            enum err err = diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
                "the number of buckets must be between 1 and %d", SHARD_BUCKETS_MAX);
            return ddl__at(ddl, err, shard->node.location);
        }
        sharding->scheme.bucket_count = (uint32_t)shard->buckets;
    } else if (shard->kind == AST_SHARD_BY_RANGE) {
        sharding->scheme.kind = SHARD_RANGE;
        TRY(read_range(ddl, shard, by, sharding));
    } else {
        sharding->scheme.kind = SHARD_LIST;
        TRY(read_list(ddl, shard, by, sharding));
    }
    return shard->colocate != NULL ? colocate(ddl, shard, relation, sharding)
                                   : check_group_is_new(ddl, sharding);
}

/* ---- what it may not have -------------------------------------------------------------------- */

static bool
contains(const uint16_t *columns, uint16_t count, uint16_t column)
{
    for (uint16_t i = 0; i < count; i++) {
        if (columns[i] == column) {
            return true;
        }
    }
    return false;
}

static enum err
check_foreign_key(struct ddl *ddl, const struct relation *relation, const struct foreign_key *key)
{
    const struct relation *to = key->referenced == relation->oid
                                    ? relation
                                    : catalog_relation_by_oid(ddl->catalog, key->referenced);
    const struct sharding *from = relation->sharding;
    if (to == NULL || (to->sharding == NULL && from == NULL) ||
        (to->sharding != NULL && to->sharding->scheme.kind == SHARD_REPLICATED)) {
        return ERR_OK;
    }
    bool inside = from != NULL && to->sharding != NULL && from->scheme.kind != SHARD_REPLICATED &&
                  strcmp(from->group, to->sharding->group) == 0;
    for (uint16_t i = 0; inside && i < key->column_count; i++) {
        if (key->columns[i] == from->column && key->referenced_columns[i] == to->sharding->column) {
            return ERR_OK;
        }
    }
    (void)diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
        "foreign key \"%s\" would lead to another node", key->name);
    diag_hint(ddl->diag,
        "It may refer to a REPLICATED table, or, with the shard column, to a table "
        "that is colocated.");
    return ERR_FEATURE_NOT_SUPPORTED;
}

enum err
ddl__check_sharding(struct ddl *ddl, const struct relation *relation)
{
    const struct sharding *sharding = relation->sharding;
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        TRY(check_foreign_key(ddl, relation, &relation->foreign[i]));
    }
    if (sharding == NULL || sharding->scheme.kind == SHARD_REPLICATED) {
        return ERR_OK;
    }
    const struct column *column = &relation->columns[sharding->column];
    const struct relation *before = catalog_relation_by_oid(ddl->catalog, relation->oid);
    if (column->dropped ||
        (before != NULL && before->columns[sharding->column].type != column->type)) {
        return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
            "column \"%s\" is what table \"%s\" is sharded by: it can be neither dropped nor "
            "changed",
            before->columns[sharding->column].name, relation->name);
    }
    if (relation->primary == NULL) { /* rows are known by it on both nodes while a bucket moves */
        (void)diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
            "table \"%s\" is sharded and needs a primary key", relation->name);
        diag_hint(ddl->diag, "Declare one that contains the shard column, within CREATE TABLE.");
        return ERR_INVALID_TABLE_DEFINITION;
    }
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (index->unique && !contains(index->columns, index->column_count, sharding->column)) {
            (void)diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "unique key \"%s\" of a sharded table must contain its shard column \"%s\"",
                index->name, column->name);
            diag_detail(ddl->diag, "One node alone could not know whether it is unique.");
            return ERR_FEATURE_NOT_SUPPORTED;
        }
    }
    return ERR_OK;
}

/* ---- SPLIT AT -------------------------------------------------------------------------------- */

static enum err
split_scheme(struct ddl *ddl, const struct relation *table, struct slice key,
    struct sharding *split, uint32_t *parent)
{
    const struct shard_scheme *scheme = &table->sharding->scheme;
    (void)shard_bucket(scheme, key, parent);
    struct shard_entry *entries = arena_array(ddl->arena, scheme->entry_count + 1, sizeof *entries);
    size_t count = 0;
    bool put = false;
    for (size_t i = 0; i < scheme->entry_count; i++) {
        int order = slice_compare(key, scheme->entries[i].key);
        if (order == 0) {
            return diag_set(
                ddl->diag, ERR_DUPLICATE_OBJECT, "a bucket already begins at this value");
        }
        if (order < 0 && !put) {
            entries[count++] = (struct shard_entry){.key = key, .bucket = scheme->bucket_count};
            put = true;
        }
        entries[count++] = scheme->entries[i];
    }
    if (!put) {
        entries[count++] = (struct shard_entry){.key = key, .bucket = scheme->bucket_count};
    }
    *split = *table->sharding;
    split->scheme.entries = entries;
    split->scheme.entry_count = count;
    split->scheme.bucket_count++;
    return ERR_OK;
}

/* The new bucket is where the old one is. Alone with both: nobody writes by the old scheme who has
 * not ended. */
static enum err
split_ownership(struct ddl *ddl, const struct relation *table, uint32_t parent, uint32_t child)
{
    struct ddl_context *context = ddl->context;
    struct bucket_group *group = table->sharding->ownership;
    struct bucket_record record;
    TRY(buckets_lock(ddl->task, context->txn, group, parent, true, ddl->diag));
    TRY(buckets_lock(ddl->task, context->txn, group, child, true, ddl->diag));
    TRY(buckets_get(
        ddl->task, context->store, context->txn, group, parent, ddl->arena, &record, ddl->diag));
    if (record.state == BUCKET_HANDING || record.state == BUCKET_SENT) {
        return diag_set(ddl->diag, ERR_BUCKET_MOVING,
            "bucket %u of \"%s\" is being moved: it can be split afterwards", parent,
            table->sharding->group);
    }
    if (record.state == BUCKET_ELSEWHERE) {
        return ERR_OK;
    }
    TRY(buckets_split_keys(
        ddl->task, context->store, context->txn, group, parent, child, ddl->diag));
    return buckets_put(ddl->task, context->store, context->txn, group, child, &record, ddl->diag);
}

enum err
ddl__split_bucket(
    struct ddl *ddl, const struct relation *table, const struct ast_alter_action *action)
{
    struct ddl_context *context = ddl->context;
    if (table->sharding == NULL || table->sharding->scheme.kind != SHARD_RANGE) {
        (void)diag_set(
            ddl->diag, ERR_WRONG_OBJECT_TYPE, "table \"%s\" is not sharded by range", table->name);
        diag_hint(ddl->diag, "Of other tables buckets are moved; none can be cut in two.");
        return ddl__at(ddl, ERR_WRONG_OBJECT_TYPE, action->node.location);
    }
    if (table->sharding->scheme.bucket_count == SHARD_BUCKETS_MAX) {
        return diag_set(
            ddl->diag, ERR_PROGRAM_LIMIT, "at most %d buckets are possible", SHARD_BUCKETS_MAX);
    }
    struct slice key;
    struct sharding split;
    uint32_t parent;
    TRY(constant_key(ddl, &table->columns[table->sharding->column], action->expr, &key));
    TRY(split_scheme(ddl, table, key, &split, &parent));
    TRY(split_ownership(ddl, table, parent, split.scheme.bucket_count - 1));
    const struct relation *other;
    for (size_t i = 0; (other = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        if (other->sharding != NULL && strcmp(other->sharding->group, split.group) == 0) {
            split.column = other->sharding->column;
            TRY(txn_lock_table(ddl->task, context->txn, other->oid, other->name,
                TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
            TRY(catalog_sharding_put(
                ddl->task, context->store, context->txn, other->oid, &split, ddl->diag));
        }
    }
    return ddl__changed(ddl);
}

/* ---- DROP ------------------------------------------------------------------------------------ */

/* Records of sagas' steps (saga/place.c): theirs is no life of its own. */
static bool
is_records(const struct relation *relation)
{
    return strcmp(relation->schema_name, "tusk_cluster") == 0 &&
           strncmp(relation->name, "steps_", 6) == 0;
}

enum err
ddl__drop_sharding(struct ddl *ddl, const struct relation *table)
{
    struct ddl_context *context = ddl->context;
    if (table->sharding == NULL || table->sharding->ownership == NULL) {
        return ERR_OK;
    }
    const struct relation *other;
    const struct relation *records = NULL;
    for (size_t i = 0; (other = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        if (other != table && other->oid != table->oid && other->sharding != NULL &&
            strcmp(other->sharding->group, table->sharding->group) == 0) {
            if (!is_records(other)) {
                return ERR_OK;
            }
            records = other;
        }
    }
    TRY(buckets_remove_group(
        ddl->task, context->store, context->txn, table->sharding->ownership, ddl->diag));
    if (records == NULL) {
        return ERR_OK;
    }
    TRY(txn_lock_table(ddl->task, context->txn, records->oid, records->name, TXN_ACCESS_EXCLUSIVE,
        TXN_WAIT, ddl->diag));
    TRY(ddl__find_again(ddl, records->oid, &records));
    return ddl__drop_table(ddl, records);
}
