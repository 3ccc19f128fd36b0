/* sql/catalog/edit.c - writing the catalog's rows. */
#include "sql/catalog/edit.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sql/catalog/catalog_internal.h"
#include "sql/catalog/statistics.h"

void
catalog__encode_name_key(
    enum catalog_name_class class, oid_t parent, const char *name, struct buffer *key)
{
    buffer_add_u8(key, (uint8_t) class);
    buffer_add_be32(key, parent);
    buffer_add_text(key, name);
}

struct txn_snapshot
catalog_newest_snapshot(struct catalog_store *store, struct txn *txn)
{
    struct txn_snapshot snapshot = txn_statement_begin(txn);
    if (txn_isolation(txn) != TXN_READ_COMMITTED) {
        snapshot.lsn = txn_db_visible_lsn(store->db);
    }
    return snapshot;
}

/* ---- rows
 * ----------------------------------------------------------------------------------------
 */

/* Only a transaction that holds no lock on what it changes can meet this. */
static enum err
concurrent_change(struct diag *diag)
{
    return diag_set(diag, ERR_SERIALIZATION, "catalog row concurrently updated");
}

enum err
catalog__put_row(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_tree tree, struct slice key, struct slice value, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "catalog row");
    struct txn_snapshot snapshot = catalog_newest_snapshot(store, txn);
    struct txn_row row;
    bool found;
    enum err err =
        txn_get(task, txn, snapshot, catalog__tree(tree), key, &arena, &row, &found, diag);
    if (err == ERR_OK && found) {
        struct txn_row latest;
        enum txn_outcome outcome;
        err = txn_update(task, txn, snapshot, catalog__tree(tree), key, row.version, value, &arena,
            &latest, &outcome, diag);
        if (err == ERR_OK && outcome != TXN_DONE) {
            err = concurrent_change(diag);
        }
    } else if (err == ERR_OK) {
        err = txn_insert(task, txn, catalog__tree(tree), key, value, &arena, NULL, diag);
        if (err == ERR_UNIQUE) {
            err = concurrent_change(diag);
        }
    }
    arena_destroy(&arena);
    return err;
}

/* Insert, or replace what the newest snapshot sees. */
static enum err
put(struct task *task, struct catalog_store *store, struct txn *txn, enum catalog_tree tree,
    struct slice key, struct slice value, struct diag *diag)
{
    enum err err = catalog__put_row(task, store, txn, tree, key, value, diag);
    txn_mark_schema_change(txn);
    return err;
}

enum err
catalog__take_row(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_tree tree, struct slice key, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "catalog row");
    struct txn_snapshot snapshot = catalog_newest_snapshot(store, txn);
    struct txn_row row;
    bool found;
    enum err err =
        txn_get(task, txn, snapshot, catalog__tree(tree), key, &arena, &row, &found, diag);
    if (err == ERR_OK && found) {
        struct txn_row latest;
        enum txn_outcome outcome;
        err = txn_remove(task, txn, snapshot, catalog__tree(tree), key, row.version, &arena,
            &latest, &outcome, diag);
        if (err == ERR_OK && outcome != TXN_DONE) {
            err = concurrent_change(diag);
        }
    }
    arena_destroy(&arena);
    return err;
}

/* Remove if there. */
static enum err
take(struct task *task, struct catalog_store *store, struct txn *txn, enum catalog_tree tree,
    struct slice key, struct diag *diag)
{
    enum err err = catalog__take_row(task, store, txn, tree, key, diag);
    txn_mark_schema_change(txn);
    return err;
}

static enum err
put_by_oid(struct task *task, struct catalog_store *store, struct txn *txn, enum catalog_tree tree,
    oid_t oid, const struct buffer *value, struct diag *diag)
{
    uint8_t key[4];
    store_be32(key, oid);
    return put(task, store, txn, tree, slice_of(key, sizeof key),
        slice_of(value->data, value->size), diag);
}

static enum err
take_by_oid(struct task *task, struct catalog_store *store, struct txn *txn, enum catalog_tree tree,
    oid_t oid, struct diag *diag)
{
    uint8_t key[4];
    store_be32(key, oid);
    return take(task, store, txn, tree, slice_of(key, sizeof key), diag);
}

/* ---- names
 * ---------------------------------------------------------------------------------------
 */

enum err
catalog_name_add(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_name_class class, oid_t parent, const char *name, oid_t oid, bool *taken,
    struct diag *diag)
{
    struct buffer key = {0};
    struct buffer value = {0};
    catalog__encode_name_key(class, parent, name, &key);
    catalog__encode_number(oid, &value);
    (void)catalog_newest_snapshot(store, txn);
    enum err err = txn_insert(task, txn, catalog__tree(CATALOG_TREE_NAMES),
        slice_of(key.data, key.size), slice_of(value.data, value.size), NULL, NULL, diag);
    *taken = err == ERR_UNIQUE;
    if (err == ERR_OK) {
        txn_mark_schema_change(txn);
    }
    buffer_destroy(&key);
    buffer_destroy(&value);
    return *taken ? ERR_OK : err;
}

enum err
catalog_name_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_name_class class, oid_t parent, const char *name, struct diag *diag)
{
    struct buffer key = {0};
    catalog__encode_name_key(class, parent, name, &key);
    enum err err = take(task, store, txn, CATALOG_TREE_NAMES, slice_of(key.data, key.size), diag);
    buffer_destroy(&key);
    return err;
}

/* ---- relations, schemas
 * --------------------------------------------------------------------------
 */

enum err
catalog_relation_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct relation *relation, struct diag *diag)
{
    struct buffer value = {0};
    catalog__encode_relation(relation, &value);
    enum err err =
        put_by_oid(task, store, txn, CATALOG_TREE_RELATIONS, relation->oid, &value, diag);
    buffer_destroy(&value);
    return err;
}

enum err
catalog__put_record(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_tree tree, oid_t oid, const struct buffer *value, struct diag *diag)
{
    return value == NULL ? take_by_oid(task, store, txn, tree, oid, diag)
                         : put_by_oid(task, store, txn, tree, oid, value, diag);
}

enum err
catalog_relation_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t relation, struct diag *diag)
{
    TRY(take_by_oid(task, store, txn, CATALOG_TREE_RELATIONS, relation, diag));
    TRY(take_by_oid(task, store, txn, CATALOG_TREE_STATISTICS, relation, diag));
    TRY(take_by_oid(task, store, txn, CATALOG_TREE_SHARDING, relation, diag));
    TRY(catalog_grants_remove(task, store, txn, CATALOG_CLASS_RELATION, relation, diag));
    return catalog_comments_remove(task, store, txn, CATALOG_CLASS_RELATION, relation, diag);
}

oid_t
catalog_schema_parent(oid_t database)
{
    return database == DATABASE_POSTGRES ? 0 : database;
}

enum err
catalog_schema_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct catalog_entry *schema, struct diag *diag)
{
    struct buffer value = {0};
    catalog__encode_named(
        schema->name, schema->owner, catalog_schema_parent(schema->database), &value);
    enum err err = put_by_oid(task, store, txn, CATALOG_TREE_SCHEMAS, schema->oid, &value, diag);
    buffer_destroy(&value);
    return err;
}

enum err
catalog_schema_remove(struct task *task, struct catalog_store *store, struct txn *txn, oid_t schema,
    struct diag *diag)
{
    TRY(take_by_oid(task, store, txn, CATALOG_TREE_SCHEMAS, schema, diag));
    TRY(catalog_grants_remove(task, store, txn, CATALOG_CLASS_SCHEMA, schema, diag));
    return catalog_comments_remove(task, store, txn, CATALOG_CLASS_SCHEMA, schema, diag);
}

enum err
catalog__statistics_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct table_statistics *statistics, struct diag *diag)
{
    struct buffer value = {0};
    catalog__encode_statistics(statistics, &value);
    enum err err =
        put_by_oid(task, store, txn, CATALOG_TREE_STATISTICS, statistics->relation, &value, diag);
    buffer_destroy(&value);
    return err;
}

/* ---- roles, grants, settings
 * --------------------------------------------------------------------- */

enum err
catalog_type_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct user_type *type, struct diag *diag)
{
    struct buffer value = {0};
    catalog__encode_type(type, &value);
    enum err err = put_by_oid(task, store, txn, CATALOG_TREE_TYPES, type->oid, &value, diag);
    buffer_destroy(&value);
    return err;
}

enum err
catalog_type_remove(
    struct task *task, struct catalog_store *store, struct txn *txn, oid_t type, struct diag *diag)
{
    TRY(take_by_oid(task, store, txn, CATALOG_TREE_TYPES, type, diag));
    return catalog_comments_remove(task, store, txn, CATALOG_CLASS_TYPE, type, diag);
}

static void
function_key(const struct user_function *function, struct buffer *key)
{
    buffer_add_be32(key, function->oid);
    buffer_add_be32(key, function->schema);
    buffer_add_text(key, function->name);
}

enum err
catalog_function_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct user_function *function, struct diag *diag)
{
    struct buffer key = {0};
    struct buffer value = {0};
    function_key(function, &key);
    catalog__encode_named(function->text, function->owner, 0, &value);
    enum err err = put(task, store, txn, CATALOG_TREE_FUNCTIONS, slice_of(key.data, key.size),
        slice_of(value.data, value.size), diag);
    buffer_destroy(&key);
    buffer_destroy(&value);
    return err;
}

static enum err
take_function(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct user_function *function, struct diag *diag)
{
    struct buffer key = {0};
    function_key(function, &key);
    enum err err =
        take(task, store, txn, CATALOG_TREE_FUNCTIONS, slice_of(key.data, key.size), diag);
    buffer_destroy(&key);
    return err;
}

enum err
catalog_function_move(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct user_function *old, const struct user_function *function, struct diag *diag)
{
    TRY(take_function(task, store, txn, old, diag));
    return catalog_function_put(task, store, txn, function, diag);
}

enum err
catalog_function_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct user_function *function, struct diag *diag)
{
    TRY(take_function(task, store, txn, function, diag));
    return catalog_comments_remove(task, store, txn, CATALOG_CLASS_FUNCTION, function->oid, diag);
}

enum err
catalog_role_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct role *role, struct diag *diag)
{
    struct buffer value = {0};
    catalog__encode_role(role, &value);
    enum err err = put_by_oid(task, store, txn, CATALOG_TREE_ROLES, role->oid, &value, diag);
    buffer_destroy(&value);
    return err;
}

enum err
catalog_role_remove(
    struct task *task, struct catalog_store *store, struct txn *txn, oid_t role, struct diag *diag)
{
    TRY(take_by_oid(task, store, txn, CATALOG_TREE_ROLES, role, diag));
    return catalog_comments_remove(task, store, txn, CATALOG_CLASS_ROLE, role, diag);
}

enum err
catalog_grant_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct grant *grant, bool remove, struct diag *diag)
{
    uint8_t key[12];
    store_be32(key, grant->class_oid);
    store_be32(key + 4, grant->object);
    store_be32(key + 8, grant->grantee);
    if (remove) {
        return take(task, store, txn, CATALOG_TREE_GRANTS, slice_of(key, sizeof key), diag);
    }
    struct buffer value = {0};
    catalog__encode_number((uint64_t)grant->privileges << 32 | grant->options, &value);
    enum err err = put(task, store, txn, CATALOG_TREE_GRANTS, slice_of(key, sizeof key),
        slice_of(value.data, value.size), diag);
    buffer_destroy(&value);
    return err;
}

enum err
catalog_default_access_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct default_access *access, bool remove, struct diag *diag)
{
    uint8_t bytes[13];
    store_be32(bytes, access->database);
    store_be32(bytes + 4, access->role);
    store_be32(bytes + 8, access->schema);
    bytes[12] = (uint8_t)access->kind;
    struct slice key = slice_of(bytes, sizeof bytes);
    if (remove) {
        TRY(catalog_grants_remove(
            task, store, txn, CATALOG_CLASS_DEFAULT_ACCESS, access->oid, diag));
        return take(task, store, txn, CATALOG_TREE_DEFAULT_ACCESS, key, diag);
    }
    struct buffer value = {0};
    catalog__encode_number(access->oid, &value);
    enum err err = put(
        task, store, txn, CATALOG_TREE_DEFAULT_ACCESS, key, slice_of(value.data, value.size), diag);
    buffer_destroy(&value);
    return err;
}

enum err
catalog_setting_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct catalog_setting *setting, struct diag *diag)
{
    struct buffer key = {0};
    struct buffer value = {0};
    buffer_add_be32(&key, setting->database);
    buffer_add_be32(&key, setting->role);
    buffer_add_text(&key, setting->name);
    enum err err;
    if (setting->value == NULL) {
        err = take(task, store, txn, CATALOG_TREE_SETTINGS, slice_of(key.data, key.size), diag);
    } else {
        catalog__encode_named(setting->value, 0, 0, &value);
        err = put(task, store, txn, CATALOG_TREE_SETTINGS, slice_of(key.data, key.size),
            slice_of(value.data, value.size), diag);
    }
    buffer_destroy(&key);
    buffer_destroy(&value);
    return err;
}

/* ---- comments
 * ------------------------------------------------------------------------------------
 */

enum err
catalog_comment_put(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t class_oid, oid_t oid, int32_t sub, const char *text, struct diag *diag)
{
    uint8_t key[12];
    store_be32(key, class_oid);
    store_be32(key + 4, oid);
    store_be32(key + 8, (uint32_t)sub);
    if (text == NULL) {
        return take(task, store, txn, CATALOG_TREE_COMMENTS, slice_of(key, sizeof key), diag);
    }
    struct buffer value = {0};
    catalog__encode_named(text, 0, 0, &value);
    enum err err = put(task, store, txn, CATALOG_TREE_COMMENTS, slice_of(key, sizeof key),
        slice_of(value.data, value.size), diag);
    buffer_destroy(&value);
    return err;
}

/* Rows whose key begins so and, unless it is NULL, is one of the wanted. */
static enum err
take_some(struct task *task, struct catalog_store *store, struct txn *txn, enum catalog_tree tree,
    struct slice prefix, bool (*wanted)(const void *arg, struct slice key), const void *arg,
    struct diag *diag)
{
    struct buffer high = {0};
    buffer_add(&high, prefix.data, prefix.size);
    bool has_high = key_prefix_successor(&high);
    struct txn_range range = {
        .low = prefix,
        .high = slice_of(high.data, high.size),
        .has_low = true,
        .has_high = has_high,
        .high_exclusive = true,
    };
    struct arena arena;
    arena_create(&arena, "catalog rows");
    struct txn_scan *scan = NULL;
    struct txn_snapshot snapshot = catalog_newest_snapshot(store, txn);
    enum err err =
        txn_scan_open(task, txn, snapshot, catalog__tree(tree), &range, false, &arena, &scan, diag);
    while (err == ERR_OK) {
        struct txn_row row;
        bool found;
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err != ERR_OK || !found) {
            break;
        }
        if (wanted != NULL && !wanted(arg, row.key)) {
            continue;
        }
        struct slice key = slice_of(arena_copy(&arena, row.key.data, row.key.size), row.key.size);
        err = take(task, store, txn, tree, key, diag);
    }
    if (scan != NULL) {
        txn_scan_close(task, scan);
    }
    arena_destroy(&arena);
    buffer_destroy(&high);
    return err;
}

enum err
catalog__take_prefix(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_tree tree, struct slice prefix, struct diag *diag)
{
    return take_some(task, store, txn, tree, prefix, NULL, NULL, diag);
}

static enum err
take_all(struct task *task, struct catalog_store *store, struct txn *txn, enum catalog_tree tree,
    oid_t class_oid, oid_t oid, struct diag *diag)
{
    uint8_t prefix[8];
    store_be32(prefix, class_oid);
    store_be32(prefix + 4, oid);
    return catalog__take_prefix(task, store, txn, tree, slice_of(prefix, sizeof prefix), diag);
}

enum err
catalog_comments_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t class_oid, oid_t oid, struct diag *diag)
{
    return take_all(task, store, txn, CATALOG_TREE_COMMENTS, class_oid, oid, diag);
}

enum err
catalog_grants_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t class_oid, oid_t oid, struct diag *diag)
{
    return take_all(task, store, txn, CATALOG_TREE_GRANTS, class_oid, oid, diag);
}

/* ---- databases
 * -----------------------------------------------------------------------------------
 */

enum err
catalog_database_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct database *database, struct diag *diag)
{
    struct buffer value = {0};
    catalog__encode_database(database, &value);
    enum err err =
        put_by_oid(task, store, txn, CATALOG_TREE_DATABASES, database->oid, &value, diag);
    buffer_destroy(&value);
    return err;
}

struct doomed_names {
    const struct catalog *catalog;
    oid_t database;
};

/* A name in one of the database's schemas, or the name of such a schema. */
static bool
is_doomed_name(const void *arg, struct slice key)
{
    const struct doomed_names *doomed = arg;
    struct catalog_entry schema;
    if (key.size < 5) {
        return false;
    }
    oid_t parent = load_be32(key.data + 1);
    if (key.data[0] == CATALOG_NAME_SCHEMA) {
        oid_t named = 0;
        for (size_t i = 0; named == 0 && catalog_schema_at(doomed->catalog, i, &schema); i++) {
            bool same = strlen(schema.name) == key.size - 5 &&
                        memcmp(schema.name, key.data + 5, key.size - 5) == 0;
            named = same && schema.database == doomed->database ? schema.oid : 0;
        }
        return named != 0 && parent == catalog_schema_parent(doomed->database);
    }
    return parent != 0 && catalog_schema_by_oid(doomed->catalog, parent, &schema) &&
           schema.database == doomed->database;
}

static enum err
remove_relation(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct relation *relation, struct diag *diag)
{
    for (uint16_t i = 0; i < relation->index_count; i++) {
        oid_t oid = relation->indexes[i].oid;
        TRY(catalog_comments_remove(task, store, txn, CATALOG_CLASS_RELATION, oid, diag));
        TRY(catalog_comments_remove(task, store, txn, CATALOG_CLASS_CONSTRAINT, oid, diag));
    }
    for (uint16_t i = 0; i < relation->check_count; i++) {
        TRY(catalog_comments_remove(
            task, store, txn, CATALOG_CLASS_CONSTRAINT, relation->checks[i].oid, diag));
    }
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        TRY(catalog_comments_remove(
            task, store, txn, CATALOG_CLASS_CONSTRAINT, relation->foreign[i].oid, diag));
    }
    return catalog_relation_remove(task, store, txn, relation->oid, diag);
}

enum err
catalog_database_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct catalog *catalog, oid_t database, struct diag *diag)
{
    const struct relation *relation;
    const struct user_type *type;
    const struct user_function *function;
    struct catalog_entry schema;
    for (size_t i = 0; (relation = catalog_relation_at(catalog, i)) != NULL; i++) {
        if (relation->database == database) {
            TRY(remove_relation(task, store, txn, relation, diag));
        }
    }
    for (size_t i = 0; (type = catalog_type_at(catalog, i)) != NULL; i++) {
        TRY(catalog_type_remove(task, store, txn, type->oid, diag));
    }
    for (size_t i = 0; (function = catalog_function_at(catalog, i)) != NULL; i++) {
        TRY(catalog_function_remove(task, store, txn, function, diag));
    }
    const struct default_access *access;
    for (size_t i = 0; (access = catalog_default_access_at(catalog, i)) != NULL; i++) {
        if (access->database == database) {
            TRY(catalog_default_access_put(task, store, txn, access, true, diag));
        }
    }
    const struct doomed_names doomed = {catalog, database};
    TRY(take_some(
        task, store, txn, CATALOG_TREE_NAMES, slice_of(NULL, 0), is_doomed_name, &doomed, diag));
    for (size_t i = 0; catalog_schema_at(catalog, i, &schema); i++) {
        if (schema.database == database) {
            TRY(catalog_schema_remove(task, store, txn, schema.oid, diag));
        }
    }
    uint8_t prefix[4];
    store_be32(prefix, database);
    TRY(catalog__take_prefix(
        task, store, txn, CATALOG_TREE_SETTINGS, slice_of(prefix, sizeof prefix), diag));
    TRY(catalog_grants_remove(task, store, txn, CATALOG_CLASS_DATABASE, database, diag));
    TRY(catalog_comments_remove(task, store, txn, CATALOG_CLASS_DATABASE, database, diag));
    return take_by_oid(task, store, txn, CATALOG_TREE_DATABASES, database, diag);
}

/* ---- OIDs
 * ----------------------------------------------------------------------------------------
 */

static enum err
advance_counter(struct task *task, struct txn *txn, uint64_t *first, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "oid counter");
    struct slice key = slice_of(CATALOG_COUNTER_OID, strlen(CATALOG_COUNTER_OID));
    tree_id_t tree = catalog__tree(CATALOG_TREE_COUNTERS);
    struct txn_snapshot snapshot = txn_statement_begin(txn);
    struct txn_row row;
    bool found;
    enum err err = txn_get(task, txn, snapshot, tree, key, &arena, &row, &found, diag);
    if (err == ERR_OK && !found) {
        err = diag_set(diag, ERR_CORRUPT, "the catalog's OID counter is missing");
    }
    while (err == ERR_OK) {
        err = catalog__decode_number(row.value, first, diag);
        if (err == ERR_OK && *first > UINT32_MAX - 2 * CATALOG_OID_BLOCK) {
            err = diag_set(diag, ERR_PROGRAM_LIMIT, "all object identifiers have been given away");
        }
        if (err != ERR_OK) {
            break;
        }
        struct buffer value = {0};
        catalog__encode_number(*first + CATALOG_OID_BLOCK, &value);
        struct txn_row latest = row;
        enum txn_outcome outcome = TXN_DONE;
        err = txn_update(task, txn, snapshot, tree, key, row.version,
            slice_of(value.data, value.size), &arena, &latest, &outcome, diag);
        buffer_destroy(&value);
        if (err != ERR_OK || outcome == TXN_DONE) {
            break;
        }
        if (outcome != TXN_CHANGED) {
            err = concurrent_change(diag);
            break;
        }
        row = latest; /* another session took a block meanwhile: ours is the next one */
    }
    arena_destroy(&arena);
    return err;
}

enum err
catalog_new_oid(struct task *task, struct catalog_store *store, oid_t *oid, struct diag *diag)
{
    latch_acquire(&store->latch);
    bool have = store->oid_next < store->oid_end;
    if (have) {
        *oid = store->oid_next++;
    }
    latch_release(&store->latch);
    if (have) {
        return ERR_OK;
    }
    /* A transaction of its own, so that nobody waits for our caller's end. It need not wait for the
     * disk: a commit that uses one of these OIDs comes later in the log. */
    struct txn *txn = txn_new(store->db, 0);
    uint64_t first = 0;
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
    if (err == ERR_OK) {
        txn_set_synchronous(txn, false);
        err = advance_counter(task, txn, &first, diag);
        if (err == ERR_OK) {
            err = txn_commit(task, txn, diag);
        } else {
            txn_rollback(task, txn);
        }
    }
    txn_delete(task, txn);
    TRY(err);
    *oid = (oid_t)first;
    latch_acquire(&store->latch);
    store->oid_next = (oid_t)first + 1;
    store->oid_end = (oid_t)first + CATALOG_OID_BLOCK;
    latch_release(&store->latch);
    return ERR_OK;
}
