/*
 * sql/catalog/picture.c - reading the catalog's trees into an immutable picture, and looking up
 * in it.
 */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "parser/ast.h"
#include "sql/catalog/buckets.h"
#include "sql/catalog/catalog_internal.h"

/* ---- growing arrays in the picture's arena
 * -------------------------------------------------------
 */

static void *
grow(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    size_t more = *capacity == 0 ? 64 : *capacity * 2;
    void *grown = arena_array(arena, more, size);
    if (count > 0) {
        memcpy(grown, items, count * size);
    }
    *capacity = more;
    return grown;
}

static void
add_relation(struct catalog *catalog, const struct relation *relation)
{
    catalog->relations = grow(&catalog->arena, catalog->relations, catalog->relation_count,
        &catalog->relation_capacity, sizeof *catalog->relations);
    catalog->relations[catalog->relation_count++] = relation;
}

/* ---- reading one tree after the other
 * ------------------------------------------------------------
 */

struct reading {
    struct task *task;
    struct catalog_store *store;
    struct txn *txn;
    struct txn_snapshot snapshot;
    const struct catalog *before;
    struct catalog *catalog;
    struct diag *diag;
};

typedef enum err read_row(struct reading *reading, const struct txn_row *row);

static enum err
read_tree(struct reading *reading, enum catalog_tree tree, read_row *each)
{
    struct arena arena;
    arena_create(&arena, "catalog scan");
    struct txn_scan *scan = NULL;
    struct txn_range all = {0};
    enum err err = txn_scan_open(reading->task, reading->txn, reading->snapshot,
        catalog__tree(tree), &all, false, &arena, &scan, reading->diag);
    while (err == ERR_OK) {
        struct txn_row row;
        bool found;
        err = txn_scan_next(reading->task, scan, &row, &found, reading->diag);
        if (err != ERR_OK || !found) {
            break;
        }
        err = each(reading, &row);
    }
    if (scan != NULL) {
        txn_scan_close(reading->task, scan);
    }
    arena_destroy(&arena);
    return err;
}

static enum err
damaged_key(struct reading *reading)
{
    return diag_set(reading->diag, ERR_CORRUPT, "catalog key is damaged");
}

static enum err
read_schema(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    if (row->key.size != 4) {
        return damaged_key(reading);
    }
    struct catalog_entry entry = {.oid = load_be32(row->key.data)};
    uint32_t flags;
    TRY(catalog__decode_named(
        &catalog->arena, row->value, &entry.name, &entry.owner, &flags, reading->diag));
    if (entry.oid != NAMESPACE_PG_CATALOG && entry.oid != NAMESPACE_INFORMATION_SCHEMA) {
        entry.database = flags == 0 ? DATABASE_POSTGRES : flags;
    }
    catalog->schemas = grow(&catalog->arena, catalog->schemas, catalog->schema_count,
        &catalog->schema_capacity, sizeof *catalog->schemas);
    catalog->schemas[catalog->schema_count++] = entry;
    return ERR_OK;
}

static enum err
read_database(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    if (row->key.size != 4) {
        return damaged_key(reading);
    }
    struct database database = {.oid = load_be32(row->key.data)};
    TRY(catalog__decode_database(&catalog->arena, row->value, &database, reading->diag));
    catalog->databases = grow(&catalog->arena, catalog->databases, catalog->database_count,
        &catalog->database_capacity, sizeof *catalog->databases);
    catalog->databases[catalog->database_count++] = database;
    return ERR_OK;
}

static enum err
read_role(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    if (row->key.size != 4) {
        return damaged_key(reading);
    }
    struct role role = {.oid = load_be32(row->key.data)};
    TRY(catalog__decode_role(&catalog->arena, row->value, &role, reading->diag));
    catalog->roles = grow(&catalog->arena, catalog->roles, catalog->role_count,
        &catalog->role_capacity, sizeof *catalog->roles);
    catalog->roles[catalog->role_count++] = role;
    return ERR_OK;
}

static enum err
read_grant(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    if (row->key.size != 12) {
        return damaged_key(reading);
    }
    uint64_t bits;
    TRY(catalog__decode_number(row->value, &bits, reading->diag));
    catalog->grants = grow(&catalog->arena, catalog->grants, catalog->grant_count,
        &catalog->grant_capacity, sizeof *catalog->grants);
    catalog->grants[catalog->grant_count++] = (struct grant){
        .class_oid = load_be32(row->key.data),
        .object = load_be32(row->key.data + 4),
        .grantee = load_be32(row->key.data + 8),
        .privileges = (uint32_t)(bits >> 32),
        .options = (uint32_t)bits,
    };
    return ERR_OK;
}

static enum err
read_setting(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    if (row->key.size < 9) {
        return damaged_key(reading);
    }
    struct catalog_setting setting = {
        .database = load_be32(row->key.data),
        .role = load_be32(row->key.data + 4),
        .name = arena_strndup(&catalog->arena, (const char *)row->key.data + 8, row->key.size - 8),
    };
    oid_t owner;
    uint32_t flags;
    TRY(catalog__decode_named(
        &catalog->arena, row->value, &setting.value, &owner, &flags, reading->diag));
    catalog->settings = grow(&catalog->arena, catalog->settings, catalog->setting_count,
        &catalog->setting_capacity, sizeof *catalog->settings);
    catalog->settings[catalog->setting_count++] = setting;
    return ERR_OK;
}

static enum err
read_default_access(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    uint64_t oid;
    if (row->key.size != 13) {
        return damaged_key(reading);
    }
    TRY(catalog__decode_number(row->value, &oid, reading->diag));
    catalog->default_access =
        grow(&catalog->arena, catalog->default_access, catalog->default_access_count,
            &catalog->default_access_capacity, sizeof *catalog->default_access);
    catalog->default_access[catalog->default_access_count++] = (struct default_access){
        .oid = (oid_t)oid,
        .database = load_be32(row->key.data),
        .role = load_be32(row->key.data + 4),
        .schema = load_be32(row->key.data + 8),
        .kind = (char)row->key.data[12],
    };
    return ERR_OK;
}

static enum err
read_comment(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    if (row->key.size != 12) {
        return damaged_key(reading);
    }
    struct catalog__comment comment = {
        .class_oid = load_be32(row->key.data),
        .oid = load_be32(row->key.data + 4),
        .sub = (int32_t)load_be32(row->key.data + 8),
    };
    oid_t owner;
    uint32_t flags;
    TRY(catalog__decode_named(
        &catalog->arena, row->value, &comment.text, &owner, &flags, reading->diag));
    catalog->comments = grow(&catalog->arena, catalog->comments, catalog->comment_count,
        &catalog->comment_capacity, sizeof *catalog->comments);
    catalog->comments[catalog->comment_count++] = comment;
    return ERR_OK;
}

static enum err
read_function(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    struct user_function function = {0};
    uint32_t flags;
    if (row->key.size < 9) {
        return damaged_key(reading);
    }
    function.oid = load_be32(row->key.data);
    function.schema = load_be32(row->key.data + 4);
    function.name =
        arena_strndup(&catalog->arena, (const char *)row->key.data + 8, row->key.size - 8);
    TRY(catalog__decode_named(
        &catalog->arena, row->value, &function.text, &function.owner, &flags, reading->diag));
    function.schema_name = catalog_schema_name(catalog, function.schema);
    if (function.schema_name == NULL) {
        return damaged_key(reading);
    }
    catalog->functions = grow(&catalog->arena, catalog->functions, catalog->function_count,
        &catalog->function_capacity, sizeof *catalog->functions);
    catalog->functions[catalog->function_count++] = function;
    return ERR_OK;
}

static enum err
read_type(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    struct user_type type;
    TRY(catalog__decode_type(&catalog->arena, row->value, &type, reading->diag));
    type.schema_name = catalog_schema_name(catalog, type.schema);
    if (row->key.size != 4 || load_be32(row->key.data) != type.oid || type.schema_name == NULL) {
        return damaged_key(reading);
    }
    if (type_has_domain(type.oid)) {
        type_note_domain(type.oid, type.base);
    } else {
        type_note_user(type.oid);
    }
    catalog->types = grow(&catalog->arena, catalog->types, catalog->type_count,
        &catalog->type_capacity, sizeof *catalog->types);
    catalog->types[catalog->type_count++] = type;
    return ERR_OK;
}

/* Up to which LSN the relation may have been changed (catalog.h, struct relation). */
static lsn_t
changed_at(const struct reading *reading, const struct catalog__stored *stored)
{
    if (reading->before == NULL) {
        return (lsn_t){0}; /* the server starts: no snapshot is older */
    }
    const struct relation *old = catalog_relation_by_oid(reading->before, stored->relation.oid);
    if (reading->catalog->owner.v != 0) {
        /* A private picture differs from the shared one by the transaction's own changes, which it
         * sees whatever its snapshot is (and DDL made sure that they hold no rows it does not). */
        return old == NULL ? (lsn_t){0} : old->changed;
    }
    if (old != NULL) {
        const struct catalog__stored *before = (const struct catalog__stored *)(const void *)old;
        if (slice_equal(before->record, stored->record)) {
            return old->changed;
        }
    }
    return reading->snapshot.lsn;
}

static void
hold_statistics(struct reading *reading, struct relation *relation)
{
    struct catalog *catalog = reading->catalog;
    struct table_statistics *statistics = catalog__statistics_hold(reading->store, relation->oid);
    if (statistics != NULL) {
        catalog->statistics = grow(&catalog->arena, catalog->statistics, catalog->statistics_count,
            &catalog->statistics_capacity, sizeof(void *));
        catalog->statistics[catalog->statistics_count++] = statistics;
        relation->statistics = statistics;
    }
}

static enum err
read_relation(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    struct catalog__stored *stored = arena_alloc(&catalog->arena, sizeof *stored);
    struct relation *relation = &stored->relation;
    stored->record =
        slice_of(arena_copy(&catalog->arena, row->value.data, row->value.size), row->value.size);
    TRY(catalog__decode_relation(&catalog->arena, stored->record, relation, reading->diag));
    if (row->key.size != 4 || load_be32(row->key.data) != relation->oid) {
        return damaged_key(reading);
    }
    struct catalog_entry schema;
    if (!catalog_schema_by_oid(catalog, relation->schema, &schema)) {
        return diag_set(reading->diag, ERR_CORRUPT, "schema %u of relation \"%s\" does not exist",
            relation->schema, relation->name);
    }
    relation->schema_name = schema.name;
    relation->database = schema.database;
    catalog__make_layout(&catalog->arena, relation);
    if (relation->kind == RELATION_TABLE) {
        relation->row_ids = catalog__row_ids(reading->store, relation->oid);
        relation->changes = &relation->row_ids->changes;
        hold_statistics(reading, relation);
    }
    relation->changed = changed_at(reading, stored);
    add_relation(catalog, relation);
    return ERR_OK;
}

/* ---- hash tables
 * ---------------------------------------------------------------------------------
 */

static uint64_t
name_hash(oid_t schema, const char *name)
{
    return hash64(name, strlen(name), schema);
}

static oid_t
found_oid(struct catalog__found found)
{
    return found.index != NULL ? found.index->oid : found.relation->oid;
}

static const char *
found_name(struct catalog__found found)
{
    return found.index != NULL ? found.index->name : found.relation->name;
}

static void
hash_add(struct catalog *catalog, struct catalog__found found)
{
    size_t slot = hash_u64(found_oid(found)) & catalog->mask;
    while (catalog->by_oid[slot].relation != NULL) {
        slot = (slot + 1) & catalog->mask;
    }
    catalog->by_oid[slot] = found;

    slot = name_hash(found.relation->schema, found_name(found)) & catalog->mask;
    while (catalog->by_name[slot].relation != NULL) {
        slot = (slot + 1) & catalog->mask;
    }
    catalog->by_name[slot] = found;
}

static void
hash_build(struct catalog *catalog)
{
    size_t entries = catalog->relation_count;
    for (size_t i = 0; i < catalog->relation_count; i++) {
        entries += catalog->relations[i]->index_count;
    }
    size_t slots = 16;
    while (slots < entries * 2) {
        slots *= 2;
    }
    catalog->mask = slots - 1;
    catalog->by_name = arena_array(&catalog->arena, slots, sizeof *catalog->by_name);
    catalog->by_oid = arena_array(&catalog->arena, slots, sizeof *catalog->by_oid);
    for (size_t i = 0; i < catalog->relation_count; i++) {
        const struct relation *relation = catalog->relations[i];
        hash_add(catalog, (struct catalog__found){.relation = relation});
        for (uint16_t at = 0; at < relation->index_count; at++) {
            hash_add(catalog,
                (struct catalog__found){.relation = relation, .index = &relation->indexes[at]});
        }
    }
}

static struct catalog__found
find_name(const struct catalog *catalog, oid_t schema, const char *name)
{
    size_t slot = name_hash(schema, name) & catalog->mask;
    for (; catalog->by_name[slot].relation != NULL; slot = (slot + 1) & catalog->mask) {
        struct catalog__found found = catalog->by_name[slot];
        if (found.relation->schema == schema && strcmp(found_name(found), name) == 0) {
            return found;
        }
    }
    return (struct catalog__found){0};
}

static struct catalog__found
find_oid(const struct catalog *catalog, oid_t oid)
{
    size_t slot = hash_u64(oid) & catalog->mask;
    for (; catalog->by_oid[slot].relation != NULL; slot = (slot + 1) & catalog->mask) {
        if (found_oid(catalog->by_oid[slot]) == oid) {
            return catalog->by_oid[slot];
        }
    }
    return (struct catalog__found){0};
}

static struct catalog__found
find_in(const struct catalog *catalog, const char *schema, const char *name)
{
    oid_t oid = catalog_schema(catalog, schema);
    return oid == 0 ? (struct catalog__found){0} : find_name(catalog, oid, name);
}

bool
catalog_is_temporary(const char *schema_name)
{
    return strncmp(schema_name, "pg_temp_", strlen("pg_temp_")) == 0;
}

const char *
catalog_temporary_schema(const char *const *search_path)
{
    return search_path != NULL && search_path[0] != NULL && catalog_is_temporary(search_path[0])
               ? search_path[0]
               : NULL;
}

static struct catalog__found
find_path(
    const struct catalog *catalog, const char *const *path, const char *schema, const char *name)
{
    const char *temporary = catalog_temporary_schema(path);
    if (schema != NULL) {
        bool own = temporary != NULL && strcmp(schema, "pg_temp") == 0;
        return find_in(catalog, own ? temporary : schema, name);
    }
    if (temporary != NULL) {
        struct catalog__found own = find_in(catalog, temporary, name);
        if (own.relation != NULL) {
            return own;
        }
        path++;
    }
    bool named = false;
    for (const char *const *at = path; at != NULL && *at != NULL; at++) {
        named |= strcmp(*at, "pg_catalog") == 0;
    }
    struct catalog__found found = {0};
    if (!named) {
        found = find_name(catalog, NAMESPACE_PG_CATALOG, name);
    }
    if (path == NULL) {
        return found.relation != NULL ? found : find_in(catalog, "public", name);
    }
    for (const char *const *at = path; found.relation == NULL && *at != NULL; at++) {
        found = find_in(catalog, *at, name);
    }
    return found;
}

/* ---- foreign keys
 * ----------------------------------------------------------------------------------
 */

/* The relations and keys of a picture being made are its own. */
static struct relation *
own_relation(const struct relation *relation)
{
    return (struct relation *)(uintptr_t)relation;
}

static enum err
connect_key(struct catalog *catalog, const struct relation *table, struct foreign_key *key,
    struct diag *diag)
{
    const struct relation *owner;
    key->table = table;
    key->referenced_table = catalog_relation_by_oid(catalog, key->referenced);
    key->referenced_index = catalog_index_by_oid(catalog, key->index, &owner);
    bool good = key->referenced_table != NULL && key->referenced_index != NULL &&
                owner == key->referenced_table;
    for (uint16_t i = 0; good && i < key->column_count; i++) {
        good = key->referenced_columns[i] < key->referenced_table->column_count;
    }
    if (!good) {
        return diag_set(diag, ERR_CORRUPT, "foreign key \"%s\" of table \"%s\" leads nowhere",
            key->name, table->name);
    }
    own_relation(key->referenced_table)->referencing_count++;
    return ERR_OK;
}

static void
add_referencing(struct catalog *catalog, const struct foreign_key *key)
{
    struct relation *to = own_relation(key->referenced_table);
    const struct foreign_key **list = (const struct foreign_key **)(uintptr_t)to->referencing;
    if (list == NULL) {
        list = arena_array(&catalog->arena, to->referencing_count, sizeof(struct foreign_key *));
        to->referencing = list;
        to->referencing_count = 0;
    }
    uint32_t at = to->referencing_count++;
    while (at > 0 && list[at - 1]->oid > key->oid) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] = key;
}

/* Both ends of every foreign key know it. */
static enum err
connect_foreign_keys(struct catalog *catalog, struct diag *diag)
{
    for (size_t i = 0; i < catalog->relation_count; i++) {
        const struct relation *table = catalog->relations[i];
        for (uint16_t at = 0; at < table->foreign_count; at++) {
            struct foreign_key *key = (struct foreign_key *)(uintptr_t)&table->foreign[at];
            TRY(connect_key(catalog, table, key, diag));
        }
    }
    for (size_t i = 0; i < catalog->relation_count; i++) {
        const struct relation *table = catalog->relations[i];
        for (uint16_t at = 0; at < table->foreign_count; at++) {
            add_referencing(catalog, &table->foreign[at]);
        }
    }
    return ERR_OK;
}

const struct foreign_key *
catalog_foreign_key(const struct catalog *catalog, oid_t oid)
{
    for (size_t i = 0; i < catalog->relation_count; i++) {
        const struct relation *table = catalog->relations[i];
        for (uint16_t at = 0; at < table->foreign_count; at++) {
            if (table->foreign[at].oid == oid) {
                return &table->foreign[at];
            }
        }
    }
    return NULL;
}

/* ---- sharding
 * --------------------------------------------------------------------------------------- */

/* After the hash tables. */
static enum err
read_sharding(struct reading *reading, const struct txn_row *row)
{
    struct catalog *catalog = reading->catalog;
    const struct relation *relation =
        row->key.size == 4 ? catalog_relation_by_oid(catalog, load_be32(row->key.data)) : NULL;
    if (relation == NULL) {
        return damaged_key(reading);
    }
    struct sharding *sharding;
    TRY(catalog__decode_sharding(
        &catalog->arena, row->value, relation->column_count, &sharding, reading->diag));
    if (sharding->scheme.kind != SHARD_REPLICATED) {
        sharding->ownership = buckets_group(reading->store, sharding->group);
    }
    own_relation(relation)->sharding = sharding;
    return ERR_OK;
}

/* ---- the whole
 * -----------------------------------------------------------------------------------
 */

enum err
catalog__read(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, const struct catalog *before, lsn_t schema_lsn,
    struct catalog **catalog_out, struct diag *diag)
{
    struct catalog *catalog = mem_zalloc(sizeof *catalog);
    atomic_init(&catalog->references, 1);
    arena_create(&catalog->arena, "catalog");
    catalog->db = store->db;
    catalog->store = store;
    catalog->schema_lsn = schema_lsn;
    catalog->owner = txn_changes_schema(txn) ? txn_id(txn) : (txn_id_t){0};
    catalog->version = atomic_fetch_add_explicit(&store->version_next, 1, memory_order_relaxed);
    for (size_t i = 0; i < store->virtual_count; i++) {
        add_relation(catalog, store->virtual_relations[i]);
    }
    struct reading reading = {
        .task = task,
        .store = store,
        .txn = txn,
        .snapshot = snapshot,
        .before = before,
        .catalog = catalog,
        .diag = diag,
    };
    enum err err = read_tree(&reading, CATALOG_TREE_SCHEMAS, read_schema);
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_TYPES, read_type);
    }
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_FUNCTIONS, read_function);
    }
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_RELATIONS, read_relation);
    }
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_ROLES, read_role);
    }
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_DATABASES, read_database);
    }
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_COMMENTS, read_comment);
    }
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_GRANTS, read_grant);
    }
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_SETTINGS, read_setting);
    }
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_DEFAULT_ACCESS, read_default_access);
    }
    if (err != ERR_OK) {
        catalog_release(catalog);
        return err;
    }
    hash_build(catalog);
    err = connect_foreign_keys(catalog, diag);
    if (err == ERR_OK) {
        err = read_tree(&reading, CATALOG_TREE_SHARDING, read_sharding);
    }
    if (err == ERR_OK) {
        err = catalog__read_route_epoch(task, store, txn, snapshot, &catalog->route_epoch, diag);
    }
    if (err != ERR_OK) {
        catalog_release(catalog);
        return err;
    }
    *catalog_out = catalog;
    return ERR_OK;
}

uint64_t
catalog_route_epoch(const struct catalog *catalog)
{
    return catalog->route_epoch;
}

/* ---- one database of it ------------------------------------------------------------------------
 */

static struct catalog *
whole_of(struct catalog *catalog)
{
    return catalog->whole == NULL ? catalog : catalog->whole;
}

static void
free_picture(struct catalog *catalog)
{
    arena_destroy(&catalog->arena);
    mem_free(catalog);
}

/* Those of the database, and the system's. */
static void
choose_schemas(struct catalog *view)
{
    const struct catalog *whole = view->whole;
    view->schemas = arena_array(&view->arena, whole->schema_count, sizeof *view->schemas);
    for (size_t i = 0; i < whole->schema_count; i++) {
        oid_t database = whole->schemas[i].database;
        if (database == 0 || database == view->database) {
            view->schemas[view->schema_count++] = whole->schemas[i];
        }
    }
}

static void
choose_types_and_functions(struct catalog *view)
{
    const struct catalog *whole = view->whole;
    view->types = arena_array(&view->arena, whole->type_count, sizeof *view->types);
    for (size_t i = 0; i < whole->type_count; i++) {
        if (catalog_schema_name(view, whole->types[i].schema) != NULL) {
            view->types[view->type_count++] = whole->types[i];
        }
    }
    view->functions = arena_array(&view->arena, whole->function_count, sizeof *view->functions);
    for (size_t i = 0; i < whole->function_count; i++) {
        if (catalog_schema_name(view, whole->functions[i].schema) != NULL) {
            view->functions[view->function_count++] = whole->functions[i];
        }
    }
}

/* What databases share is the whole's own; what belongs to a schema is chosen. */
static struct catalog *
make_view(struct catalog *whole, oid_t database)
{
    struct catalog *view = mem_zalloc(sizeof *view);
    arena_create(&view->arena, "catalog of a database");
    view->whole = whole;
    view->database = database;
    view->db = whole->db;
    view->store = whole->store;
    view->version = whole->version;
    view->schema_lsn = whole->schema_lsn;
    view->owner = whole->owner;
    view->route_epoch = whole->route_epoch;
    view->databases = whole->databases;
    view->database_count = whole->database_count;
    view->roles = whole->roles;
    view->role_count = whole->role_count;
    view->comments = whole->comments;
    view->comment_count = whole->comment_count;
    view->grants = whole->grants;
    view->grant_count = whole->grant_count;
    view->settings = whole->settings;
    view->setting_count = whole->setting_count;
    view->default_access = whole->default_access;
    view->default_access_count = whole->default_access_count;
    choose_schemas(view);
    choose_types_and_functions(view);
    for (size_t i = 0; i < whole->relation_count; i++) {
        const struct relation *relation = whole->relations[i];
        if (relation->database == 0 || relation->database == database) {
            add_relation(view, relation);
        }
    }
    hash_build(view);
    return view;
}

static struct catalog *
find_view(struct catalog *first, oid_t database)
{
    while (first != NULL && first->database != database) {
        first = first->next_view;
    }
    return first;
}

/* No latch: who makes the same one at the same time and loses throws his own away. */
struct catalog *
catalog__view(struct catalog *whole, oid_t database)
{
    ASSERT(whole->whole == NULL);
    if (database == 0) {
        return whole;
    }
    struct catalog *first = atomic_load_explicit(&whole->views, memory_order_acquire);
    struct catalog *view = find_view(first, database);
    if (view != NULL) {
        return view;
    }
    struct catalog *made = make_view(whole, database);
    do {
        made->next_view = first;
        if (atomic_compare_exchange_weak_explicit(
                &whole->views, &first, made, memory_order_acq_rel, memory_order_acquire)) {
            return made;
        }
        view = find_view(first, database);
    } while (view == NULL);
    free_picture(made);
    return view;
}

/* ---- references ------------------------------------------------------------------------------ */

void
catalog_release(struct catalog *catalog)
{
    catalog = catalog == NULL ? NULL : whole_of(catalog);
    if (catalog == NULL ||
        atomic_fetch_sub_explicit(&catalog->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < catalog->statistics_count; i++) {
        catalog__statistics_release(catalog->statistics[i]);
    }
    struct catalog *view = atomic_load(&catalog->views);
    while (view != NULL) {
        struct catalog *next = view->next_view;
        free_picture(view);
        view = next;
    }
    free_picture(catalog);
}

struct catalog *
catalog_hold(struct catalog *catalog)
{
    atomic_fetch_add_explicit(&whole_of(catalog)->references, 1, memory_order_relaxed);
    return catalog;
}

const struct catalog *
catalog_whole(const struct catalog *catalog)
{
    return catalog->whole == NULL ? catalog : catalog->whole;
}

uint64_t
catalog_version(const struct catalog *catalog)
{
    return catalog->version;
}

/* ---- looking up
 * ----------------------------------------------------------------------------------
 */

const struct relation *
catalog_relation(const struct catalog *catalog, const char *schema, const char *name)
{
    return catalog_relation_on(catalog, NULL, schema, name);
}

const struct relation *
catalog_relation_on(const struct catalog *catalog, const char *const *search_path,
    const char *schema, const char *name)
{
    struct catalog__found found = find_path(catalog, search_path, schema, name);
    return found.index == NULL ? found.relation : NULL;
}

enum err
catalog_check_database(const struct eval_env *env, const struct ast_table *name, struct diag *diag)
{
    bool ours = name->catalog == NULL || env == NULL || env->database == NULL ||
                strcmp(name->catalog, env->database) == 0;
    return ours ? ERR_OK
                : diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                      "cross-database references are not implemented: \"%s.%s.%s\"", name->catalog,
                      name->schema, name->name);
}

const char *
catalog_creation_schema(const struct catalog *catalog, const char *const *search_path)
{
    if (search_path == NULL) {
        return "public";
    }
    for (const char *const *at = search_path; *at != NULL; at++) {
        if (catalog_schema(catalog, *at) != 0 && !catalog_is_temporary(*at)) {
            return *at;
        }
    }
    return NULL;
}

const struct relation *
catalog_relation_by_oid(const struct catalog *catalog, oid_t oid)
{
    struct catalog__found found = find_oid(catalog, oid);
    return found.index == NULL ? found.relation : NULL;
}

const struct index *
catalog_index(const struct catalog *catalog, const char *schema, const char *name,
    const struct relation **table)
{
    return catalog_index_on(catalog, NULL, schema, name, table);
}

const struct index *
catalog_index_on(const struct catalog *catalog, const char *const *search_path, const char *schema,
    const char *name, const struct relation **table)
{
    struct catalog__found found = find_path(catalog, search_path, schema, name);
    *table = found.index == NULL ? NULL : found.relation;
    return found.index;
}

const struct index *
catalog_index_by_oid(const struct catalog *catalog, oid_t oid, const struct relation **table)
{
    struct catalog__found found = find_oid(catalog, oid);
    *table = found.index == NULL ? NULL : found.relation;
    return found.index;
}

oid_t
catalog_schema(const struct catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->schema_count; i++) {
        if (strcmp(catalog->schemas[i].name, name) == 0) {
            return catalog->schemas[i].oid;
        }
    }
    return 0;
}

bool
catalog_schema_by_oid(const struct catalog *catalog, oid_t oid, struct catalog_entry *entry)
{
    for (size_t i = 0; i < catalog->schema_count; i++) {
        if (catalog->schemas[i].oid == oid) {
            *entry = catalog->schemas[i];
            return true;
        }
    }
    return false;
}

const char *
catalog_schema_name(const struct catalog *catalog, oid_t oid)
{
    struct catalog_entry entry;
    return catalog_schema_by_oid(catalog, oid, &entry) ? entry.name : NULL;
}

const struct role *
catalog_role(const struct catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->role_count; i++) {
        if (strcmp(catalog->roles[i].name, name) == 0) {
            return &catalog->roles[i];
        }
    }
    return NULL;
}

const struct database *
catalog_database(const struct catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->database_count; i++) {
        if (strcmp(catalog->databases[i].name, name) == 0) {
            return &catalog->databases[i];
        }
    }
    return NULL;
}

const struct database *
catalog_database_by_oid(const struct catalog *catalog, oid_t oid)
{
    for (size_t i = 0; i < catalog->database_count; i++) {
        if (catalog->databases[i].oid == oid) {
            return &catalog->databases[i];
        }
    }
    return NULL;
}

const struct relation *
catalog_relation_at(const struct catalog *catalog, size_t position)
{
    return position < catalog->relation_count ? catalog->relations[position] : NULL;
}

const struct catalog_setting *
catalog_setting_at(const struct catalog *catalog, size_t position)
{
    return position < catalog->setting_count ? &catalog->settings[position] : NULL;
}

const struct role *
catalog_role_at(const struct catalog *catalog, size_t position)
{
    return position < catalog->role_count ? &catalog->roles[position] : NULL;
}

bool
catalog_schema_at(const struct catalog *catalog, size_t position, struct catalog_entry *entry)
{
    if (position >= catalog->schema_count) {
        return false;
    }
    *entry = catalog->schemas[position];
    return true;
}

const struct database *
catalog_database_at(const struct catalog *catalog, size_t position)
{
    return position < catalog->database_count ? &catalog->databases[position] : NULL;
}

static int
comment_order(const struct catalog__comment *a, oid_t class_oid, oid_t oid, int32_t sub)
{
    if (a->class_oid != class_oid) {
        return a->class_oid < class_oid ? -1 : 1;
    }
    if (a->oid != oid) {
        return a->oid < oid ? -1 : 1;
    }
    return (a->sub > sub) - (a->sub < sub);
}

const char *
catalog_comment(const struct catalog *catalog, oid_t class_oid, oid_t oid, int32_t sub)
{
    size_t low = 0;
    size_t high = catalog->comment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = comment_order(&catalog->comments[middle], class_oid, oid, sub);
        if (order == 0) {
            return catalog->comments[middle].text;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

int
relation_column(const struct relation *relation, const char *name)
{
    for (uint16_t i = 0; i < relation->column_count; i++) {
        if (!relation->columns[i].dropped && strcmp(relation->columns[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

enum err
catalog_check_snapshot(
    const struct relation *relation, struct txn_snapshot snapshot, struct diag *diag)
{
    if (snapshot.lsn.v < relation->changed.v) {
        return diag_set(diag, ERR_SERIALIZATION,
            "could not serialize access due to concurrent change of the definition of relation "
            "\"%s\"",
            relation->name);
    }
    return ERR_OK;
}

/* ---- functions of users ---------------------------------------------------------------------- */

const struct user_function *
catalog_function_at(const struct catalog *catalog, size_t position)
{
    return position < catalog->function_count ? &catalog->functions[position] : NULL;
}

const struct user_function *
catalog_function_by_oid(const struct catalog *catalog, oid_t oid)
{
    for (size_t i = 0; i < catalog->function_count; i++) {
        if (catalog->functions[i].oid == oid) {
            return &catalog->functions[i];
        }
    }
    return NULL;
}
