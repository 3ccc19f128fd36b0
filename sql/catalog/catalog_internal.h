/*
 * sql/catalog/catalog_internal.h - the catalog's trees, records and pictures.
 *
 * Trees (fixed ids), each row a record of record.c:
 *
 *     TREE    KEY                                       VALUE
 *     16      name of a counter                         version, be64 next value
 *             "sequence", be32 oid, be64 generation     version, be64 value, called
 *     17      be32 schema oid                           version, schema
 *     18      be32 relation oid                         version, relation with columns, indexes,
 *                                                       checks
 *     19      class byte, be32 schema oid or 0, name    version, be32 oid
 *     20      be32 role oid                             version, role
 *     21      be32 database oid                         version, database (record.c)
 *     22      be32 class oid, be32 oid, be32 sub        version, text of the comment
 *     23      be32 relation oid                         version, statistics (statistics.c)
 *     24      be32 class oid, be32 oid, be32 grantee    version, be64 privileges << 32 | options
 *     25      be32 database oid, be32 role oid, name    version, value of a setting
 *     26      be32 role oid, idempotency key            outcome (sql/session/idempotency.c)
 *             be32 0, be32 database oid, the same       of other databases than the first
 *     27      be64 time of the commit, key of tree 26   buckets (sql/session/idempotency_moves.c)
 *     28-32   sagas (saga/store.c)
 *     33      be32 type oid                             version, type of a user with its labels
 *     34      be32 relation oid                         version, sharding (sharding.c)
 *     37      be32 database, be32 role, be32 schema     version, be32 oid that its grants (tree 24)
 *             or 0, kind byte                           are on
 *     36      be32 oid, be32 schema oid, name           version, text of CREATE FUNCTION, be32
 * owner 35      group, NUL, be32 bucket                   version, state of a bucket (buckets.c)
 *     39      group, NUL, be32 bucket, key of tree 26   be64 time of the commit, the key's
 *     38      be64 version, be32 piece                  changes of replicated tables (replicated.c)
 *
 * Tree 19 is what makes names unique under concurrency: who creates inserts the name there first,
 * and so waits for whoever is creating (or dropping) the same one.
 *
 * Latch order: none; store->latch is the only one and nothing is called under it.
 */
#ifndef SQL_CATALOG_CATALOG_INTERNAL_H
#define SQL_CATALOG_CATALOG_INTERNAL_H

#include "base/arena.h"
#include "base/latch.h"
#include "base/list.h"
#include "sql/catalog/access.h"
#include "sql/catalog/catalog.h"
#include "sql/catalog/edit.h"
#include "sql/catalog/trees.h"

/* Keys of CATALOG_TREE_COUNTERS. */
#define CATALOG_COUNTER_OID "oid"

enum catalog__role_flags {
    CATALOG_ROLE_SUPERUSER = 1,
    CATALOG_ROLE_LOGIN = 2,
    CATALOG_ROLE_CREATEDB = 4,
    CATALOG_ROLE_CREATEROLE = 8,
    CATALOG_ROLE_NOINHERIT = 16,
    CATALOG_ROLE_REPLICATION = 32,
    CATALOG_ROLE_BYPASSRLS = 64,
};

enum catalog__database_flags {
    CATALOG_DATABASE_TEMPLATE = 1,
    CATALOG_DATABASE_NO_CONNECTIONS = 2,
};

enum {
    CATALOG_RECORD_VERSION = 1,
    CATALOG_OID_BLOCK = 512, /* OIDs taken from the persistent counter at a time */
};

/* ---- a picture ------------------------------------------------------------------------------- */

struct catalog__comment {
    oid_t class_oid, oid;
    int32_t sub;
    const char *text;
};

/* A stored relation and the bytes it was read from. */
struct catalog__stored {
    struct relation relation;
    struct slice record;
};

/* A slot of the hash tables: what a name or an OID leads to. index NULL: the relation itself. */
struct catalog__found {
    const struct relation *relation;
    const struct index *index;
};

/* Either the whole, as it was read; or what of it one database sees. That is made when somebody
 * first asks for it and shares with the whole its rows and its life: references are the whole's. */
struct catalog {
    _Atomic uint32_t references;
    struct catalog *whole;           /* NULL: this is it */
    oid_t database;                  /* 0: this is the whole */
    _Atomic(struct catalog *) views; /* of the whole; a list by next_view that only grows */
    struct catalog *next_view;
    struct txn_db *db; /* for sizes */
    struct catalog_store *store;
    struct arena arena;
    uint64_t version;
    lsn_t schema_lsn; /* what txn_db_schema_lsn was before its snapshot was taken */
    txn_id_t owner;   /* private to this transaction; 0: shared */
    uint64_t route_epoch;

    const struct relation **relations; /* virtual ones first, then by oid */
    size_t relation_count, relation_capacity;
    struct catalog_entry *schemas;
    size_t schema_count, schema_capacity;
    struct database *databases;
    size_t database_count, database_capacity;
    struct role *roles;
    size_t role_count, role_capacity;
    struct catalog__comment *comments; /* in key order */
    size_t comment_count, comment_capacity;
    struct table_statistics **statistics; /* held */
    size_t statistics_count, statistics_capacity;
    struct grant *grants; /* in key order */
    size_t grant_count, grant_capacity;
    struct catalog_setting *settings; /* in key order */
    size_t setting_count, setting_capacity;
    struct default_access *default_access; /* in key order */
    size_t default_access_count, default_access_capacity;
    struct user_function *functions; /* by oid */
    size_t function_count, function_capacity;
    struct user_type *types; /* by oid */
    size_t type_count, type_capacity;

    struct catalog__found *by_name, *by_oid; /* open addressing, at most half full */
    size_t mask;
};

/* ---- the store ------------------------------------------------------------------------------- */

/* Hidden row ids of one table. `next` 0: not known yet. Lives as long as the store: pictures and
 * plans of any age may point to it. */
struct row_id_counter {
    struct row_id_counter *chain;
    oid_t relation;
    _Atomic uint64_t next;
    _Atomic uint64_t changes; /* of rows, since statistics were gathered */
};

/* A transaction that has changed the schema. */
struct catalog__private {
    struct list_node node;
    const struct txn *txn;
    struct catalog *picture; /* NULL: to be read */
};

/* A table's newest statistics; also of tables that are gone. */
struct statistics_entry {
    struct statistics_entry *chain;
    oid_t relation;
    struct table_statistics *statistics; /* a reference */
};

enum {
    CATALOG_ROW_ID_BUCKETS = 1024,
    CATALOG_SEQUENCE_BUCKETS = 256,
    CATALOG_STATISTICS_BUCKETS = 1024,
};

struct catalog_store {
    struct txn_db *db;
    struct arena arena; /* virtual relations; constant after catalog_open */
    const struct relation **virtual_relations;
    size_t virtual_count;

    struct latch latch;      /* everything below */
    struct catalog *current; /* the newest shared picture, one reference; NULL: none yet */
    bool reading;            /* a task is reading the next one */
    struct list_node privates;
    struct row_id_counter *row_ids[CATALOG_ROW_ID_BUCKETS];
    struct sequence_state *sequences[CATALOG_SEQUENCE_BUCKETS];
    struct statistics_entry *statistics[CATALOG_STATISTICS_BUCKETS];
    oid_t oid_next, oid_end; /* what is left of the block */

    struct bucket_group *bucket_groups; /* a group stays as long as the store */
    uint32_t bucket_group_count;
    struct list_node buckets_pending;

    const char *node; /* set once, by buckets_open */
    _Atomic uint32_t buckets_pending_count;
    _Atomic uint64_t version_next;
};

/* picture.c: read one. In `txn` at `snapshot`; `before` (may be NULL) is what `changed` is judged
 * against. */
enum err catalog__read(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, const struct catalog *before, lsn_t schema_lsn,
    struct catalog **catalog, struct diag *diag);
/* The picture of one database, cut from the whole; 0: the whole. No reference is counted. */
struct catalog *catalog__view(struct catalog *whole, oid_t database);
struct row_id_counter *catalog__row_ids(struct catalog_store *store, oid_t relation);

/* statistics.c, of which hold and new give a reference, publish takes one. */
struct table_statistics *catalog__statistics_new(oid_t relation, uint16_t column_count);
void catalog__statistics_release(struct table_statistics *statistics);
void catalog__encode_statistics(const struct table_statistics *statistics, struct buffer *to);
void catalog__statistics_publish(struct catalog_store *store, struct table_statistics *statistics);
struct table_statistics *catalog__statistics_hold(struct catalog_store *store, oid_t relation);
void catalog__statistics_destroy(struct catalog_store *store);
enum err catalog__statistics_load(
    struct task *task, struct catalog_store *store, struct txn *txn, struct diag *diag);
/* edit.c */
enum err catalog__statistics_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct table_statistics *statistics, struct diag *diag);

/* sequence_functions.c */
void catalog__register_sequence_functions(void);

/* sequence.c */
void catalog__sequences_destroy(struct catalog_store *store);

/* sharding.c */
struct sharding;
enum err catalog__decode_sharding(struct arena *arena, struct slice record, uint16_t column_count,
    struct sharding **sharding, struct diag *diag);
/* buckets.c */
enum err catalog__read_route_epoch(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, uint64_t *epoch, struct diag *diag);
void catalog__buckets_destroy(struct catalog_store *store);
/* edit.c. Insert, or replace what the newest snapshot sees; no change of the schema. */
enum err catalog__put_row(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_tree tree, struct slice key, struct slice value, struct diag *diag);
/* Removed if it is there; likewise no change of the schema. */
enum err catalog__take_row(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_tree tree, struct slice key, struct diag *diag);
/* A change of the schema. NULL: remove it if it is there. */
enum err catalog__put_record(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_tree tree, oid_t oid, const struct buffer *value, struct diag *diag);
/* Removes all whose keys begin so; a change of the schema. */
enum err catalog__take_prefix(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_tree tree, struct slice prefix, struct diag *diag);
/* edit.c: the key in the tree of names. */
void catalog__encode_name_key(
    enum catalog_name_class class, oid_t parent, const char *name, struct buffer *key);

/* record.c. Decoding checks bytes from disk: ERR_CORRUPT. Strings are copied into the arena. */
void catalog__encode_relation(const struct relation *relation, struct buffer *to);
/* A table's, of all columns; enums among the types are made known. */
void catalog__make_layout(struct arena *arena, struct relation *relation);
enum err catalog__decode_relation(
    struct arena *arena, struct slice record, struct relation *relation, struct diag *diag);
void catalog__encode_named(
    const char *name, oid_t owner, uint32_t flags, struct buffer *to); /* schema, role, database */
enum err catalog__decode_named(struct arena *arena, struct slice record, const char **name,
    oid_t *owner, uint32_t *flags, struct diag *diag);
void catalog__encode_database(const struct database *database, struct buffer *to);
enum err catalog__decode_database(
    struct arena *arena, struct slice record, struct database *database, struct diag *diag);
void catalog__encode_role(const struct role *role, struct buffer *to);
enum err catalog__decode_role(
    struct arena *arena, struct slice record, struct role *role, struct diag *diag);
void catalog__encode_type(const struct user_type *type, struct buffer *to);
enum err catalog__decode_type(
    struct arena *arena, struct slice record, struct user_type *type, struct diag *diag);
void catalog__encode_number(uint64_t number, struct buffer *to);
enum err catalog__decode_number(struct slice record, uint64_t *number, struct diag *diag);

/* definitions.c: what pg_get_indexdef and pg_get_constraintdef say; NULL: no such object. */
char *catalog__index_definition(const struct eval_env *env, struct arena *arena,
    const struct relation *table, const struct index *index, int column, bool pretty);
char *catalog__key_definition(
    struct arena *arena, const struct relation *table, const struct index *index);
/* The condition of a domain as it is shown: the value is VALUE. */
char *catalog__domain_check_text(
    const struct eval_env *env, struct arena *arena, const struct check *check, bool pretty);
char *catalog__constraint_definition(
    const struct eval_env *env, struct arena *arena, oid_t constraint, bool pretty);

/* type.c */
void catalog__register_types(void);
oid_t catalog__type_oid(const struct eval_env *env, const char *schema, const char *name);
void catalog__type_name(const struct eval_env *env, oid_t type, struct buffer *to);
enum err catalog__enum_input(struct eval *eval, oid_t type, struct slice text, struct datum *value);
void catalog__enum_output(
    const struct eval_env *env, oid_t type, struct datum value, struct buffer *to);

/* functions.c: registers the functions that look at the catalog, and regclass. */
void catalog__register_functions(void);
void catalog__register_access(void); /* access_functions.c */

/* virtual.c */
const struct virtual_table *const *catalog__virtual_tables(size_t *count);

#endif /* SQL_CATALOG_CATALOG_INTERNAL_H */
