/*
 * sql/catalog/edit.h - changing the catalog's rows; for sql/ddl alone.
 *
 * These functions write in the caller's transaction and mark it as one that changes the schema.
 * What they write is seen after catalog_invalidate. Who changes a relation holds its table lock
 * ACCESS EXCLUSIVE (or SHARE .. for an added index), so rows do not change under them; names are
 * guarded by the tree of names itself.
 */
#ifndef SQL_CATALOG_EDIT_H
#define SQL_CATALOG_EDIT_H

#include "sql/catalog/catalog.h"

enum catalog_name_class {
    CATALOG_NAME_RELATION = 'r', /* tables, indexes, views, sequences of one schema */
    CATALOG_NAME_SCHEMA = 'n',
    CATALOG_NAME_ROLE = 'o',
    CATALOG_NAME_DATABASE = 'd',
    CATALOG_NAME_TYPE = 't',     /* of one schema */
    CATALOG_NAME_FUNCTION = 'f', /* of one schema: the name and its arguments' types */
};

/* pg_class's OIDs of the catalogs that comments refer to. */
enum catalog_class_oid {
    CATALOG_CLASS_RELATION = 1259,
    CATALOG_CLASS_SCHEMA = 2615,
    CATALOG_CLASS_CONSTRAINT = 2606,
    CATALOG_CLASS_TYPE = 1247,
    CATALOG_CLASS_FUNCTION = 1255,
    CATALOG_CLASS_PROC = 1255,
    CATALOG_CLASS_DATABASE = 1262,
    CATALOG_CLASS_ROLE = 1260,
    CATALOG_CLASS_DEFAULT_ACCESS = 826,
};

/* A fresh OID, never given before; lost if the transaction rolls back. */
enum err catalog_new_oid(
    struct task *task, struct catalog_store *store, oid_t *oid, struct diag *diag);

/* Claims a name, waiting for others who claim or release it. *taken: a committed one stands there
 * (then the transaction has written nothing). */
enum err catalog_name_add(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_name_class class, oid_t parent, const char *name, oid_t oid, bool *taken,
    struct diag *diag);
enum err catalog_name_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    enum catalog_name_class class, oid_t parent, const char *name, struct diag *diag);

/* Insert or replace the relation's record. Of `relation` everything counts that is stored: not
 * layout, schema_name, primary, row_ids, virtual_table. */
enum err catalog_relation_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct relation *relation, struct diag *diag);
/* A table's record as bytes for the log, and back: with its layout, without what a picture adds. */
void catalog_relation_pack(const struct relation *relation, struct buffer *to);
enum err catalog_relation_unpack(
    struct arena *arena, struct slice record, struct relation *relation, struct diag *diag);
/* The record and its comments; not its name. */
enum err catalog_relation_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t relation, struct diag *diag);

enum err catalog_schema_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct catalog_entry *schema, struct diag *diag);
/* What stands for a database where names of schemas are claimed: their parent. The first database's
 * are the oldest: 0. */
oid_t catalog_schema_parent(oid_t database);
enum err catalog_schema_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t schema, struct diag *diag);

/* Insert or replace the database's record; not its name. */
enum err catalog_database_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct database *database, struct diag *diag);
/* Its record, settings, grants and comments, its schemas and all that is in them, names included;
 * but no trees, and not its own name. `catalog` is a picture of this database. */
enum err catalog_database_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct catalog *catalog, oid_t database, struct diag *diag);

enum err catalog_role_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct role *role, struct diag *diag);
enum err catalog_role_remove(
    struct task *task, struct catalog_store *store, struct txn *txn, oid_t role, struct diag *diag);
/* remove: the row goes; else it is put, even with no privilege left (access.h). */
struct grant;
enum err catalog_grant_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct grant *grant, bool remove, struct diag *diag);
/* All grants on an object. */
enum err catalog_grants_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t class_oid, oid_t oid, struct diag *diag);
/* remove: with its grants. */
struct default_access;
enum err catalog_default_access_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct default_access *access, bool remove, struct diag *diag);
/* value NULL: no such setting any more. */
enum err catalog_setting_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct catalog_setting *setting, struct diag *diag);

/* Insert or replace the type's record; not its name. */
enum err catalog_type_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct user_type *type, struct diag *diag);
enum err catalog_type_remove(
    struct task *task, struct catalog_store *store, struct txn *txn, oid_t type, struct diag *diag);

/* Insert or replace the function's record; not its name. */
enum err catalog_function_put(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct user_function *function, struct diag *diag);
/* Under another name or schema. */
enum err catalog_function_move(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct user_function *old, const struct user_function *function, struct diag *diag);
enum err catalog_function_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct user_function *function, struct diag *diag);

/* text NULL: no comment any more. */
enum err catalog_comment_put(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t class_oid, oid_t oid, int32_t sub, const char *text, struct diag *diag);
/* All comments of an object and its parts. */
enum err catalog_comments_remove(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t class_oid, oid_t oid, struct diag *diag);

/* The newest committed state plus this transaction's own writes so far: what DDL and the actions of
 * foreign keys read by, whatever the transaction's isolation level. A new command of the
 * transaction begins. */
struct txn_snapshot catalog_newest_snapshot(struct catalog_store *store, struct txn *txn);

/* Before a relation without primary key gets another tree: its row ids must go on above the old
 * tree's, also if the transaction rolls back and the old tree is the one again. */
enum err catalog_row_ids_settle(struct task *task, struct catalog_store *store,
    const struct relation *relation, struct diag *diag);

#endif /* SQL_CATALOG_EDIT_H */
