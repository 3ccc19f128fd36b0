/*
 * sql/catalog/store.c - the shared picture, private pictures, bootstrap, and hidden row ids.
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sql/catalog/catalog_internal.h"
#include "sql/catalog/index_key.h"

enum {
    ROLE_POSTGRES = 10, /* PostgreSQL's OID of the bootstrap superuser */
    /* Schema public of the templates. */
    NAMESPACE_PUBLIC_TEMPLATE1 = 13001,
    NAMESPACE_PUBLIC_TEMPLATE0 = 13002,
    READER_POLL_US = 100,
};

/* ---- birth
 * ---------------------------------------------------------------------------------------
 */

static enum err
put_row(struct task *task, struct txn *txn, enum catalog_tree tree, struct slice key,
    const struct buffer *value, struct diag *diag)
{
    return txn_insert(
        task, txn, catalog__tree(tree), key, slice_of(value->data, value->size), NULL, NULL, diag);
}

/* One row of a tree keyed by OID, and its name under `parent` in the tree of names. */
static enum err
put_named(struct task *task, struct txn *txn, enum catalog_tree tree, enum catalog_name_class class,
    oid_t parent, oid_t oid, const char *name, oid_t owner, uint32_t flags, struct diag *diag)
{
    struct buffer key = {0};
    struct buffer value = {0};
    buffer_add_be32(&key, oid);
    catalog__encode_named(name, owner, flags, &value);
    enum err err = put_row(task, txn, tree, slice_of(key.data, key.size), &value, diag);
    if (err == ERR_OK) {
        key.size = 0;
        value.size = 0;
        catalog__encode_name_key(class, parent, name, &key);
        catalog__encode_number(oid, &value);
        err = put_row(task, txn, CATALOG_TREE_NAMES, slice_of(key.data, key.size), &value, diag);
    }
    buffer_destroy(&key);
    buffer_destroy(&value);
    return err;
}

enum {
    ROLE_FLAGS_ALL = CATALOG_ROLE_SUPERUSER | CATALOG_ROLE_LOGIN | CATALOG_ROLE_CREATEDB |
                     CATALOG_ROLE_CREATEROLE | CATALOG_ROLE_REPLICATION | CATALOG_ROLE_BYPASSRLS,
};

static enum err
put_first_rows(struct task *task, struct txn *txn, const char *system_user, struct diag *diag)
{
    for (int tree = CATALOG_TREE_COUNTERS; tree < CATALOG_TREE_END; tree++) {
        TRY(txn_tree_create_fixed(task, txn, catalog__tree((enum catalog_tree)tree), diag));
    }
    oid_t next = OID_FIRST_USER;
    TRY(put_named(task, txn, CATALOG_TREE_ROLES, CATALOG_NAME_ROLE, 0, ROLE_POSTGRES, "postgres", 0,
        ROLE_FLAGS_ALL, diag));
    if (system_user != NULL && strcmp(system_user, "postgres") != 0) {
        TRY(put_named(task, txn, CATALOG_TREE_ROLES, CATALOG_NAME_ROLE, 0, next++, system_user, 0,
            ROLE_FLAGS_ALL, diag));
    }
    static const struct {
        oid_t oid;
        const char *name;
        uint32_t flags;
    } databases[] = {
        {DATABASE_POSTGRES, "postgres", 0},
        {DATABASE_TEMPLATE1, "template1", CATALOG_DATABASE_TEMPLATE},
        {DATABASE_TEMPLATE0, "template0",
            CATALOG_DATABASE_TEMPLATE | CATALOG_DATABASE_NO_CONNECTIONS},
    };
    for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++) {
        TRY(put_named(task, txn, CATALOG_TREE_DATABASES, CATALOG_NAME_DATABASE, 0, databases[i].oid,
            databases[i].name, ROLE_POSTGRES, databases[i].flags, diag));
    }
    static const struct {
        oid_t oid;
        const char *name;
        oid_t database;
    } schemas[] = {
        {NAMESPACE_PG_CATALOG, "pg_catalog", 0},
        {NAMESPACE_PUBLIC, "public", 0},
        {NAMESPACE_INFORMATION_SCHEMA, "information_schema", 0},
        {NAMESPACE_PUBLIC_TEMPLATE1, "public", DATABASE_TEMPLATE1},
        {NAMESPACE_PUBLIC_TEMPLATE0, "public", DATABASE_TEMPLATE0},
    };
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        TRY(put_named(task, txn, CATALOG_TREE_SCHEMAS, CATALOG_NAME_SCHEMA, schemas[i].database,
            schemas[i].oid, schemas[i].name, ROLE_POSTGRES, schemas[i].database, diag));
    }
    struct buffer value = {0};
    catalog__encode_number(next, &value);
    enum err err = put_row(task, txn, CATALOG_TREE_COUNTERS,
        slice_of(CATALOG_COUNTER_OID, strlen(CATALOG_COUNTER_OID)), &value, diag);
    buffer_destroy(&value);
    return err;
}

/* The first rows of a new database, all in one transaction: a crash leaves all or nothing. */
static enum err
bootstrap(struct task *task, struct txn_db *db, const char *system_user, struct diag *diag)
{
    struct txn *txn = txn_new(db, 0);
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
    if (err == ERR_OK) {
        (void)txn_statement_begin(txn);
        txn_mark_schema_change(txn);
        err = put_first_rows(task, txn, system_user, diag);
        if (err == ERR_OK) {
            err = txn_commit(task, txn, diag);
        } else {
            txn_rollback(task, txn);
        }
    }
    txn_delete(task, txn);
    return err;
}

/* A directory made before there were these trees gets them. */
static enum err
add_missing_trees(struct task *task, struct txn_db *db, struct diag *diag)
{
    struct txn *txn = NULL;
    enum err err = ERR_OK;
    for (int tree = CATALOG_TREE_COUNTERS; tree < CATALOG_TREE_END && err == ERR_OK; tree++) {
        tree_id_t id = catalog__tree((enum catalog_tree)tree);
        if (txn_tree_exists(db, id)) {
            continue;
        }
        if (txn == NULL) {
            txn = txn_new(db, 0);
            err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
            if (err != ERR_OK) {
                break;
            }
            (void)txn_statement_begin(txn);
        }
        err = txn_tree_create_fixed(task, txn, id, diag);
    }
    if (txn != NULL) {
        if (err == ERR_OK) {
            err = txn_commit(task, txn, diag);
        } else if (txn_state(txn) == TXN_ACTIVE) {
            txn_rollback(task, txn);
        }
        txn_delete(task, txn);
    }
    return err;
}

static void
make_virtual_relations(struct catalog_store *store)
{
    size_t count;
    const struct virtual_table *const *tables = catalog__virtual_tables(&count);
    store->virtual_relations = arena_array(&store->arena, count, sizeof(struct relation *));
    store->virtual_count = count;
    for (size_t i = 0; i < count; i++) {
        struct relation *relation = arena_alloc(&store->arena, sizeof *relation);
        bool pg_catalog = strcmp(tables[i]->schema, "pg_catalog") == 0;
        *relation = (struct relation){
            .oid = tables[i]->oid,
            .schema = pg_catalog ? NAMESPACE_PG_CATALOG : NAMESPACE_INFORMATION_SCHEMA,
            .schema_name = tables[i]->schema,
            .name = tables[i]->name,
            .kind = RELATION_VIRTUAL,
            .owner = ROLE_POSTGRES,
            .column_count = tables[i]->column_count,
            .columns = tables[i]->columns,
            .virtual_table = tables[i],
        };
        store->virtual_relations[i] = relation;
    }
}

static txn_namer name_key;

enum err
catalog_open(struct task *task, struct txn_db *db, const char *system_user,
    struct catalog_store **store_out, struct diag *diag)
{
    if (txn_db_is_new(db)) {
        TRY(bootstrap(task, db, system_user, diag));
    } else {
        TRY(add_missing_trees(task, db, diag));
    }
    struct catalog_store *store = mem_zalloc(sizeof *store);
    store->db = db;
    arena_create(&store->arena, "catalog store");
    list_init(&store->privates);
    list_init(&store->buckets_pending);
    store->node = "";
    atomic_init(&store->version_next, 1);
    make_virtual_relations(store);
    txn_db_set_namer(db, name_key, store);
    catalog__register_functions();
    catalog__register_access();
    catalog__register_types();

    /* The first picture is read here, before any snapshot exists: see struct relation, changed. */
    struct txn *txn = txn_new(db, 0);
    struct catalog *catalog = NULL;
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, true, diag);
    if (err == ERR_OK) {
        err = catalog__statistics_load(task, store, txn, diag);
        if (err == ERR_OK) {
            err = catalog_get(task, store, txn, &catalog, diag);
        }
        catalog_release(catalog);
        txn_rollback(task, txn);
    }
    txn_delete(task, txn);
    if (err != ERR_OK) {
        catalog_close(store);
        return err;
    }
    *store_out = store;
    return ERR_OK;
}

void
catalog_close(struct catalog_store *store)
{
    while (!list_empty(&store->privates)) {
        struct catalog__private *private =
            LIST_ENTRY(list_pop_front(&store->privates), struct catalog__private, node);
        catalog_release(private->picture);
        mem_free(private);
    }
    catalog_release(store->current);
    for (size_t i = 0; i < CATALOG_ROW_ID_BUCKETS; i++) {
        while (store->row_ids[i] != NULL) {
            struct row_id_counter *counter = store->row_ids[i];
            store->row_ids[i] = counter->chain;
            mem_free(counter);
        }
    }
    catalog__sequences_destroy(store);
    catalog__buckets_destroy(store);
    catalog__statistics_destroy(store);
    arena_destroy(&store->arena);
    mem_free(store);
}

/* ---- the shared picture
 * --------------------------------------------------------------------------
 */

/* Reads in a transaction of its own: the catalog is looked at as it is now, whatever the asking
 * transaction's snapshot. Ending it with a commit waits until all that was met is durable, so no
 * answer rests on a definition that a crash could take back (P1). */
static enum err
read_shared(struct task *task, struct catalog_store *store, const struct catalog *before,
    struct catalog **catalog, struct diag *diag)
{
    struct txn *reader = txn_new(store->db, 0);
    enum err err = txn_begin(task, reader, TXN_READ_COMMITTED, true, diag);
    if (err == ERR_OK) {
        /* Before the snapshot: a change after this load makes the picture stale, never wrong. */
        lsn_t schema_lsn = txn_db_schema_lsn(store->db);
        struct txn_snapshot snapshot = txn_statement_begin(reader);
        err = catalog__read(task, store, reader, snapshot, before, schema_lsn, catalog, diag);
        if (err != ERR_OK) {
            txn_rollback(task, reader);
        } else {
            err = txn_commit(task, reader, diag);
            if (err != ERR_OK) {
                catalog_release(*catalog);
            }
        }
    }
    txn_delete(task, reader);
    return err;
}

static enum err
get_shared(
    struct task *task, struct catalog_store *store, struct catalog **catalog, struct diag *diag)
{
    for (;;) {
        lsn_t now = txn_db_schema_lsn(store->db);
        bool read = false;
        struct catalog *before = NULL;
        latch_acquire(&store->latch);
        if (store->current != NULL && store->current->schema_lsn.v == now.v) {
            *catalog = catalog_hold(store->current);
            latch_release(&store->latch);
            return ERR_OK;
        }
        if (!store->reading) {
            store->reading = true;
            read = true;
            before = store->current; /* stays: only the reading task replaces it */
        }
        latch_release(&store->latch);
        if (!read) {
            /* Another task is at it; schema changes are rare, so a short sleep is cheap enough. */
            TRY(task_interrupted(task, diag));
            task_sleep(task, READER_POLL_US);
            continue;
        }

        enum err err = read_shared(task, store, before, catalog, diag);
        struct catalog *old = NULL;
        latch_acquire(&store->latch);
        store->reading = false;
        if (err == ERR_OK) {
            old = store->current;
            store->current = catalog_hold(*catalog);
        }
        latch_release(&store->latch);
        catalog_release(old);
        return err; /* as of after the call began, even if yet another change has come since */
    }
}

/* ---- private pictures
 * ----------------------------------------------------------------------------
 */

/* The entry belongs to the task of its transaction; only the list is shared. */
static struct catalog__private *
find_private(struct catalog_store *store, const struct txn *txn, bool make)
{
    struct catalog__private *result = NULL;
    latch_acquire(&store->latch);
    LIST_FOREACH (node, &store->privates) {
        struct catalog__private *private = LIST_ENTRY(node, struct catalog__private, node);
        if (private->txn == txn) {
            result = private;
            break;
        }
    }
    if (result == NULL && make) {
        result = mem_zalloc(sizeof *result);
        result->txn = txn;
        list_push_back(&store->privates, &result->node);
    }
    latch_release(&store->latch);
    return result;
}

static bool
private_is_current(
    const struct catalog *picture, struct catalog_store *store, const struct txn *txn)
{
    return picture != NULL && picture->owner.v == txn_id(txn).v &&
           picture->schema_lsn.v == txn_db_schema_lsn(store->db).v;
}

static enum err
get_private(struct task *task, struct catalog_store *store, struct txn *txn,
    struct catalog **catalog, struct diag *diag)
{
    struct catalog__private *private = find_private(store, txn, true);
    if (private_is_current(private->picture, store, txn)) {
        *catalog = catalog_hold(private->picture);
        return ERR_OK;
    }
    struct catalog *shared = NULL;
    lsn_t schema_lsn = txn_db_schema_lsn(store->db);
    TRY(get_shared(task, store, &shared, diag));

    /* The newest commits and our own writes, in REPEATABLE READ too: a second transaction keeps the
     * newest LSN registered while ours reads at it. */
    struct txn *holder = txn_new(store->db, 0);
    enum err err = txn_begin(task, holder, TXN_READ_COMMITTED, true, diag);
    struct catalog *picture = NULL;
    if (err == ERR_OK) {
        struct txn_snapshot snapshot = {
            .lsn = txn_statement_begin(holder).lsn,
            .command = txn_statement_begin(txn).command,
        };
        err = catalog__read(task, store, txn, snapshot, shared, schema_lsn, &picture, diag);
        txn_rollback(task, holder);
    }
    txn_delete(task, holder);
    catalog_release(shared);
    if (err == ERR_OK) {
        catalog_release(private->picture);
        private->picture = picture;
        *catalog = catalog_hold(picture);
    }
    return err;
}

enum err
catalog_get_database(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t database, struct catalog **catalog, struct diag *diag)
{
    ASSERT(txn_state(txn) == TXN_ACTIVE);
    struct catalog *whole = NULL;
    TRY(txn_changes_schema(txn) ? get_private(task, store, txn, &whole, diag)
                                : get_shared(task, store, &whole, diag));
    *catalog = catalog__view(whole, database); /* with the whole's reference */
    return ERR_OK;
}

enum err
catalog_get(struct task *task, struct catalog_store *store, struct txn *txn,
    struct catalog **catalog, struct diag *diag)
{
    return catalog_get_database(task, store, txn, txn_scope(txn), catalog, diag);
}

bool
catalog_is_current(
    const struct catalog *catalog, struct catalog_store *store, const struct txn *txn)
{
    if (txn_changes_schema(txn)) {
        struct catalog__private *private = find_private(store, txn, false);
        return private != NULL && private->picture == catalog_whole(catalog) &&
               private_is_current(catalog, store, txn);
    }
    return catalog->owner.v == 0 && catalog->schema_lsn.v == txn_db_schema_lsn(store->db).v;
}

void
catalog_invalidate(struct catalog_store *store, struct txn *txn)
{
    struct catalog__private *private = find_private(store, txn, false);
    if (private != NULL) {
        catalog_release(private->picture);
        private->picture = NULL;
    }
}

void
catalog_transaction_ended(struct catalog_store *store, struct txn *txn)
{
    struct catalog__private *private = find_private(store, txn, false);
    if (private != NULL) {
        latch_acquire(&store->latch);
        list_remove(&private->node);
        latch_release(&store->latch);
        catalog_release(private->picture);
        mem_free(private);
    }
}

/* ---- hidden row ids
 * ------------------------------------------------------------------------------
 */

struct row_id_counter *
catalog__row_ids(struct catalog_store *store, oid_t relation)
{
    struct row_id_counter **bucket = &store->row_ids[hash_u64(relation) % CATALOG_ROW_ID_BUCKETS];
    latch_acquire(&store->latch);
    struct row_id_counter *counter = *bucket;
    while (counter != NULL && counter->relation != relation) {
        counter = counter->chain;
    }
    if (counter == NULL) {
        counter = mem_zalloc(sizeof *counter);
        counter->relation = relation;
        counter->chain = *bucket;
        *bucket = counter;
    }
    latch_release(&store->latch);
    return counter;
}

enum err
catalog_row_ids_settle(struct task *task, struct catalog_store *store,
    const struct relation *relation, struct diag *diag)
{
    if (relation->primary != NULL || atomic_load(&relation->row_ids->next) != 0) {
        return ERR_OK;
    }
    struct arena arena;
    arena_create(&arena, "last row id");
    struct slice key;
    bool found;
    enum err err = txn_tree_last_key(task, store->db, relation->tree, &arena, &key, &found, diag);
    if (err == ERR_OK) {
        uint64_t last = 0;
        if (found && key.size == 8) {
            last = load_be64(key.data);
        } else if (found) {
            err = diag_set(diag, ERR_CORRUPT, "row id of relation \"%s\" has %zu bytes",
                relation->name, key.size);
        }
        /* Two tasks may come here together. Whoever is second loses, rightly: rows may have been
         * numbered since it looked. */
        uint64_t unknown = 0;
        if (err == ERR_OK) {
            (void)atomic_compare_exchange_strong(&relation->row_ids->next, &unknown, last + 1);
        }
    }
    arena_destroy(&arena);
    return err;
}

enum err
catalog_next_row_id(struct task *task, struct catalog_store *store, const struct relation *relation,
    uint64_t *row_id, struct diag *diag)
{
    ASSERT(relation->primary == NULL && relation->row_ids != NULL);
    if (atomic_load_explicit(&relation->row_ids->next, memory_order_relaxed) == 0) {
        TRY(catalog_row_ids_settle(task, store, relation, diag));
    }
    *row_id = atomic_fetch_add_explicit(&relation->row_ids->next, 1, memory_order_relaxed);
    return ERR_OK;
}

/* ---- keys in words ----------------------------------------------------------------------------
 */

const struct relation *
catalog_relation_of_tree(const struct catalog *catalog, tree_id_t tree, const struct index **index)
{
    const struct relation *relation;
    *index = NULL;
    for (size_t i = 0; (relation = catalog_relation_at(catalog, i)) != NULL; i++) {
        if (relation->kind != RELATION_TABLE) {
            continue;
        }
        for (uint16_t k = 0; k < relation->index_count; k++) {
            if (relation->indexes[k].tree.v == tree.v) {
                *index = &relation->indexes[k];
                return relation;
            }
        }
        if (relation->tree.v == tree.v) {
            *index = NULL;
            return relation;
        }
    }
    return NULL;
}

/* txn_namer: what a serialization failure says of a key. */
static void
name_key(void *arg, tree_id_t tree, struct slice key, char *to, size_t size)
{
    struct catalog_store *store = arg;
    latch_acquire(&store->latch);
    struct catalog *catalog = store->current == NULL ? NULL : catalog_hold(store->current);
    latch_release(&store->latch);
    if (catalog == NULL) {
        return;
    }
    const struct index *index = NULL;
    const struct relation *relation = catalog_relation_of_tree(catalog, tree, &index);
    if (relation != NULL) {
        struct arena arena;
        struct diag ignored;
        arena_create(&arena, "key in words");
        struct eval_env env = {.time_zone = "UTC", .extra_float_digits = 1};
        struct datum *row = arena_array(&arena, index_row_size(relation), sizeof *row);
        bool decoded = index != NULL && key.size > 0;
        for (uint16_t i = 0; decoded && i < index->column_count; i++) {
            decoded =
                key_decode(&arena, &key, index_column_type(relation, index, i), index->flags[i],
                    &row[index_slot(relation, index->columns[i])], &ignored) == ERR_OK;
        }
        (void)snprintf(to, size, "%s %s%s", relation->name, decoded ? "row " : "",
            decoded ? index_key_text(&arena, &env, relation, index, row) : "");
        arena_destroy(&arena);
    }
    catalog_release(catalog);
}
