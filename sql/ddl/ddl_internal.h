/*
 * sql/ddl/ddl_internal.h - what the statements of DDL share.
 *
 * Invariants
 *   D1. Nothing about a relation is decided before its lock is held and the picture is known to be
 *       current after that (ddl__lock_relation).
 *   D2. Existing rows are read at the newest snapshot (catalog_newest_snapshot), never at the
 *       transaction's own: a rewrite that missed a committed row would lose it.
 *   D3. The names of a relation's indexes and its own stand in the tree of names from the statement
 *       that made them to the one that drops them.
 *   D4. After writing catalog rows the private picture is invalidated before anything is looked up
 *       again (ddl__refresh).
 *   D5. Stored texts of CHECK name columns without qualifier (ddl__column_names), so renaming a
 *       table never breaks them and renaming a column rewrites them.
 */
#ifndef SQL_DDL_DDL_INTERNAL_H
#define SQL_DDL_DDL_INTERNAL_H

#include "parser/parser.h"
#include "sql/catalog/edit.h"
#include "sql/catalog/index_key.h"
#include "sql/ddl/ddl.h"

/* Added to a table's OID: the lock object that lets one CREATE INDEX at a time change its record.
 */
#define DDL__INDEX_LIST_LOCK ((uint64_t)1 << 32)

/* A picture that is kept until the statement ends, because relations of it are in use. */
struct ddl__held {
    struct ddl__held *older;
    struct catalog *catalog;
};

/* One statement. */
struct ddl {
    struct task *task;
    struct ddl_context *context;
    struct arena *arena;
    struct diag *diag;
    struct catalog *catalog; /* the newest picture */
    struct ddl__held *held;
};

/* ---- ddl.c: pictures, names, locks, words
 * -------------------------------------------------------- */

/* Read the picture anew if it is not current. */
enum err ddl__refresh(struct ddl *ddl);
/* After writing catalog rows. */
enum err ddl__changed(struct ddl *ddl);

void ddl__notice(struct ddl *ddl, enum err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Points the error just set at a place of the statement. Returns err. */
enum err ddl__at(struct ddl *ddl, enum err err, int32_t location);
enum err ddl__unsupported(struct ddl *ddl, const char *what, int32_t location);

/* Of a whole cluster: 0A000 here. */
enum err ddl__routers_statement(struct ddl *ddl, const char *what);

/* The schema an object will be created in: named, or public. Locked against DROP SCHEMA. */
enum err ddl__creation_schema(
    struct ddl *ddl, const struct ast_table *name, oid_t *schema, const char **schema_name);
/* The same for a name in CREATE TEMPORARY; the schema may be made now. */
enum err ddl__placement(struct ddl *ddl, const struct ast_table *name, bool temporary,
    oid_t *schema, const char **schema_name);
/* The relation of that very schema, index or table, or NULLs. */
void ddl__in_schema(struct ddl *ddl, const char *schema, const char *name,
    const struct relation **relation, const struct index **index);

/* A table that exists, locked, seen in a current picture. If it is missing: NULL if missing_ok
 * (nothing said), else 42P01. System catalogs are refused, and so are indexes (42809). */
enum err ddl__lock_relation(struct ddl *ddl, const struct ast_table *name, enum txn_table_lock mode,
    bool missing_ok, const struct relation **relation);
/* The same, but who may not do it (ddl__check_relation_owner ..) is refused before the lock is
 * asked for: nobody waits in line, and keeps others waiting, for what is not his. */
typedef enum err ddl__right(struct ddl *ddl, const struct relation *relation);
enum err ddl__lock_relation_as(struct ddl *ddl, const struct ast_table *name,
    enum txn_table_lock mode, bool missing_ok, ddl__right *check, const struct relation **relation);
/* An index that is to be changed, and its table, locked ACCESS EXCLUSIVE. NULL: no such index. */
enum err ddl__lock_index(struct ddl *ddl, const struct ast_table *name,
    const struct relation **table, const struct index **index);
/* After other locks were taken: the same relation in the newest picture; 42P01 if it has gone. */
enum err ddl__find_again(struct ddl *ddl, oid_t oid, const struct relation **relation);

/* ---- names.c -----------------------------------------------------------------------------------
 */

/* "t_a_key", cut to fit 63 bytes; parts may be NULL. */
char *ddl__object_name(
    struct arena *arena, const char *table, const char *columns, const char *label);
/* The first of label, label1, label2 .. whose name is free in the schema, among the names of `edit`
 * (its constraints and indexes) too. */
struct ddl__edit;
char *ddl__choose_name(struct ddl *ddl, const struct ddl__edit *edit, const char *columns,
    const char *label, bool is_relation);
/* "a_b" of an index's columns; expressions have the name they have in the index. */
char *ddl__column_part(
    struct arena *arena, const struct relation *relation, const uint16_t *columns, uint16_t count);

/* ---- edit.c: a relation being made or changed
 * ----------------------------------------------------- */

struct ddl__edit {
    struct relation relation; /* its arrays are those below */
    struct column *columns;
    struct index *indexes;
    struct check *checks;
    struct foreign_key *foreign;
    struct derived *derived;
};

/* A copy of `from` (may be NULL: an empty one) that can be changed. */
struct ddl__edit *ddl__edit_new(struct ddl *ddl, const struct relation *from);
struct column *ddl__edit_add_column(struct ddl *ddl, struct ddl__edit *edit);
struct index *ddl__edit_add_index(struct ddl *ddl, struct ddl__edit *edit);
struct check *ddl__edit_add_check(struct ddl *ddl, struct ddl__edit *edit);
struct foreign_key *ddl__edit_add_foreign(struct ddl *ddl, struct ddl__edit *edit);
/* Its number. It goes when no index is left that uses it. */
uint16_t ddl__edit_add_derived(
    struct ddl *ddl, struct ddl__edit *edit, const struct derived *derived);
void ddl__edit_remove_foreign(struct ddl__edit *edit, uint16_t at);
void ddl__edit_remove_index(struct ddl__edit *edit, uint16_t at);
void ddl__edit_remove_check(struct ddl__edit *edit, uint16_t at);
/* Make relation.primary and layout agree with the rest. Before rows are encoded. */
void ddl__edit_complete(struct ddl *ddl, struct ddl__edit *edit);
/* Store the record and refresh the picture. */
enum err ddl__edit_store(struct ddl *ddl, struct ddl__edit *edit);
bool ddl__constraint_exists(const struct relation *relation, const char *name);

/* ---- types and expressions: expression.c
 * ---------------------------------------------------------- */

enum err ddl__resolve_type(
    struct ddl *ddl, const struct ast_type *type, oid_t *oid, int32_t *typmod);
/* Type, modifier and domain of a column. */
enum err ddl__resolve_column_type(
    struct ddl *ddl, const struct ast_type *type, struct column *column);
/* A column of this type may be stored. */
enum err ddl__check_column_type(struct ddl *ddl, const char *name, oid_t type, int32_t location);

/* A column's default (relation NULL) or generation expression, rewritten by hooks->keep. */
enum err ddl__keep_column(struct ddl *ddl, const struct column *column,
    const struct relation *relation, const char **text);
/* Bind a text; errors point into the statement if `start` (where the text stands there) is not
 * negative. */
enum err ddl__bind(struct ddl *ddl, const char *text, int32_t start,
    const struct relation *relation, oid_t type, int32_t typmod, struct expr **expr);
/* The same for a column's default or generation expression. */
enum err ddl__bind_default(struct ddl *ddl, const struct column *column, const char *text,
    int32_t start, const struct relation *relation, struct expr **expr);
/* Bind a CHECK condition; *text is rewritten (D5); *single is the one column it looks at, or -1. */
enum err ddl__bind_check(struct ddl *ddl, const struct relation *relation, int32_t start,
    const char **text, struct expr **expr, int *single);
/* Which columns of its relation the expression reads: used[column]. */
enum err ddl__columns_used(struct ddl *ddl, const struct expr *expr, bool *used);
/* The text with each column reference replaced by the column's name in `relation` (NULL: there is
 * none), each literal of a date or timestamp by what it means here and now, each label of an enum
 * by what it is called now, and each user's type with its schema. */
enum err ddl__column_names(struct ddl *ddl, const struct relation *relation, const char *text,
    const struct expr *expr, const char **result);
/* The statement's text from start, as a string. */
char *ddl__text(struct ddl *ddl, int32_t start, int32_t size);
enum err ddl__evaluate(struct ddl *ddl, struct arena *arena, const struct expr *expr,
    const struct datum *row, struct datum *result);

/* ---- constraint.c: keys and checks from the tree to the edit
 * --------------------------------------- */

/* PRIMARY KEY or UNIQUE; column: the column it is written at, or -1. Adds an index without oid and
 * trees; *added is NULL if an equal one made it superfluous. */
enum err ddl__add_key(struct ddl *ddl, struct ddl__edit *edit,
    const struct ast_constraint *constraint, int column, struct index **added);
/* CHECK. *expr: bound. */
enum err ddl__add_check(struct ddl *ddl, struct ddl__edit *edit,
    const struct ast_constraint *constraint, int column, struct expr **expr);
/* 42P17 unless the expression is. `words`: "generation expression is not immutable" .. */
enum err ddl__check_immutable(struct ddl *ddl, const struct expr *expr, const char *words);
/* INCLUDE (..): column names. */
enum err ddl__include_column(struct ddl *ddl, const struct relation *table, struct index *index,
    const char *name, int32_t location);
/* Does an index depend on the column: by its key, INCLUDE, an expression, its condition? */
enum err ddl__index_uses(struct ddl *ddl, const struct relation *table, const struct index *index,
    int column, bool *uses);
/* Without pending checks (55006), which look for rows as they were. what: "ALTER TABLE" .. */
enum err ddl__check_pending(struct ddl *ddl, const struct relation *relation, const char *what);
enum err ddl__key_type(struct ddl *ddl, oid_t type, int32_t location);
/* WITH (..): PostgreSQL's storage parameters are accepted and mean nothing here. */
/* GENERATED ALWAYS AS (..): its text, when all columns are known. */
enum err ddl__add_generated(
    struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint, int column);
enum err ddl__check_options(struct ddl *ddl, const struct ast_list *options, bool index);
enum err ddl__check_tablespace(struct ddl *ddl, const char *tablespace);
enum err ddl__set_identity(struct ddl *ddl, struct ddl__edit *edit, uint16_t at,
    const struct ast_constraint *constraint, bool has_default);
/* Column constraints of ADD COLUMN and CREATE TABLE: NOT NULL, DEFAULT, keys, checks, into edit.
 * Keys and checks are added by the caller in a second pass (pass 2). */
enum err ddl__column_constraints(struct ddl *ddl, struct ddl__edit *edit, uint16_t column,
    const struct ast_column_def *def, bool *said_null);
enum err ddl__define_column(
    struct ddl *ddl, struct ddl__edit *edit, const struct ast_column_def *def, uint16_t *column);

/* view.c: the query of a relation that is to be a materialized view. */
enum err ddl__define_materialized(
    struct ddl *ddl, struct relation *relation, const struct ast_create_table *statement);
/* REFRESH: locked and looked at; emptied, unless CONCURRENTLY. */
enum err ddl__refresh_view(struct ddl *ddl, const struct ast_refresh *statement);

/* ---- sequence.c
 * -------------------------------------------------------------------------------------------- */

enum err ddl__create_sequence(struct ddl *ddl, const struct ast_create_sequence *statement);
enum err ddl__alter_sequence(struct ddl *ddl, const struct ast_alter_sequence *statement);
/* A locked one, and (cascade) the defaults that use it. */
enum err ddl__drop_sequence(struct ddl *ddl, const struct relation *relation, bool cascade);
/* Those of the table, or of one column of it: they go with it. */
enum err ddl__drop_owned_sequences(struct ddl *ddl, oid_t table, int column);
enum err ddl__restart_sequences(struct ddl *ddl, oid_t table); /* TRUNCATE .. RESTART IDENTITY */
/* What serial, bigserial and smallserial are; 0: the type is none of them. */
oid_t ddl__serial_type(const struct ast_type *type);
/* nextval('name') in a default becomes nextval('oid'::regclass): names may change. */
enum err ddl__sequence_oids(struct ddl *ddl, const char *text, const char **result);
/* Makes the sequence of a column; the edit's table has its OID. */
enum err ddl__column_sequence(struct ddl *ddl, struct ddl__edit *edit, uint16_t column,
    const struct ast_list *options, bool identity);

/* ---- foreign_key.c
 * -------------------------------------------------------------------------------------------- */

/* FOREIGN KEY or REFERENCES into the edit, whose own keys have their OIDs; column as above. Locks
 * the other table SHARE ROW EXCLUSIVE: pictures read before are old afterwards. *oid: the key's. */
enum err ddl__add_foreign(struct ddl *ddl, struct ddl__edit *edit,
    const struct ast_constraint *constraint, int column, oid_t *oid);
/* The rows that are there obey the key. */
enum err ddl__verify_foreign(struct ddl *ddl, oid_t key);
/* After a column's type has changed: all keys from and to the table that it is in. */
enum err ddl__recheck_foreign(struct ddl *ddl, oid_t table, uint16_t column);
/* The foreign keys to this table which would lose their ground: 2BP01 unless cascade, else they are
 * dropped, with a notice. index 0 and column -1: all, as the table goes. `doomed`: tables that go
 * as well, whose keys are dropped without a word. `what`: "table t", "column a of table t" .. */
struct ddl__dependents {
    oid_t table, index;
    int column;
    const oid_t *doomed;
    uint32_t doomed_count;
    const char *what, *on;
    bool cascade;
};
enum err ddl__release_dependents(struct ddl *ddl, const struct ddl__dependents *dependents);
enum err ddl__drop_foreign(struct ddl *ddl, oid_t key);

/* ---- rows.c: reading and writing the rows of tables
 * ------------------------------------------------ */

/* The entries of a new index from the rows of the table. 23505 on duplicates. */
enum err ddl__build_index(
    struct ddl *ddl, const struct relation *relation, const struct index *index);

/* What becomes of each row in a rewrite. */
struct ddl__rewrite {
    const struct relation *from;
    const struct relation *to;
    struct expr **values; /* per column of `to`: over from's columns; NULL: as it was (or null) */
    struct expr **checks; /* per check of `to` that must hold, over to's columns; NULL: not asked */
    bool *not_null;       /* per column of `to`: no row may have null there */
};
/* Copy all rows of from's tree into to's (which is new and empty). */
enum err ddl__rewrite(struct ddl *ddl, const struct ddl__rewrite *rewrite);
/* Do the values of a column obey its domain? 23502, 23514, with the words of ALTER DOMAIN. */
enum err ddl__verify_domain(struct ddl *ddl, const struct relation *relation, uint16_t column);
/* Read all rows, changing nothing: checks and not_null of a struct with from == to. */
enum err ddl__verify(struct ddl *ddl, const struct ddl__rewrite *rewrite);
/* New trees for the table and the secondary indexes marked (NULL: all); old ones go at commit. */
enum err ddl__new_trees(struct ddl *ddl, struct ddl__edit *edit, bool table, const bool *secondary);

/* ---- access.c: may we? 42501
 * ---------------------------------------------------------------------- */

/* "table", "view", "sequence" */
const char *ddl__relation_word(const struct relation *relation);
/* "must be owner of table t" */
enum err ddl__check_owner(struct ddl *ddl, oid_t owner, const char *what, const char *name);
enum err ddl__check_relation_owner(struct ddl *ddl, const struct relation *relation);
enum err ddl__check_schema_owner(struct ddl *ddl, oid_t schema, const char *name);
enum err ddl__check_schema_create(struct ddl *ddl, oid_t schema, const char *name);
enum err ddl__check_database_create(struct ddl *ddl);
/* A privilege (sql/catalog/access.h) on a table. */
enum err ddl__check_relation(struct ddl *ddl, const struct relation *relation, uint32_t privilege);
/* The new owner has all, if anything is written down. */
enum err ddl__grants_follow_owner(
    struct ddl *ddl, enum catalog_class_oid class_oid, oid_t oid, oid_t owner);

/* "current_user" and the like too; 42704 */
enum err ddl__find_role(struct ddl *ddl, const char *name, const struct role **role);
/* Of GRANT's list, NULL: all there are; `what` they are of. */
enum err ddl__read_privileges(struct ddl *ddl, const struct ast_list *list, uint32_t all,
    const char *what, uint32_t *privileges);
enum err ddl__alter_default(struct ddl *ddl, const struct ast_alter_default *statement);
/* What a new object of this kind (struct default_access) is given at its birth. */
enum err ddl__default_grants(struct ddl *ddl, enum catalog_class_oid class_oid, oid_t oid,
    oid_t owner, oid_t schema, char kind);
/* The schema goes. */
enum err ddl__forget_defaults_in(struct ddl *ddl, oid_t schema);
enum err ddl__owned(struct ddl *ddl, const struct ast_owned *statement);

/* ---- the statements
 * -------------------------------------------------------------------------------- */

enum err ddl__create_table(struct ddl *ddl, const struct ast_create_table *statement);
enum err ddl__create_index(struct ddl *ddl, const struct ast_create_index *statement);
enum err ddl__create_schema(struct ddl *ddl, const struct ast_create_schema *statement);
enum err ddl__drop(struct ddl *ddl, const struct ast_drop *statement);
enum err ddl__truncate(struct ddl *ddl, const struct ast_truncate *statement);
enum err ddl__alter_table(struct ddl *ddl, const struct ast_alter_table *statement);
enum err ddl__rename(struct ddl *ddl, const struct ast_rename *statement);
enum err ddl__create_role(struct ddl *ddl, const struct ast_create_role *statement);
enum err ddl__alter_role(struct ddl *ddl, const struct ast_alter_role *statement);
/* ALTER ROLE .. SET, ALTER DATABASE .. SET: for sessions to come. */
enum err ddl__put_settings(struct ddl *ddl, oid_t database, oid_t role, const struct ast_set *set);
enum err ddl__rename_role(struct ddl *ddl, const char *from, const char *to);
enum err ddl__drop_role(struct ddl *ddl, const char *name, bool if_exists);
enum err ddl__grant(struct ddl *ddl, const struct ast_grant *statement);
enum err ddl__create_function(struct ddl *ddl, const struct ast_create_function *statement);
enum err ddl__alter_function(struct ddl *ddl, const struct ast_alter_function *statement);
/* The one that a statement names (as of DROP), if it is ours. */
enum err ddl__find_function(
    struct ddl *ddl, const struct ast_create_function *item, char kind, oid_t *oid);
/* "name(integer,text)" */
const char *ddl__function_shown(struct ddl *ddl, const struct user_function *function);
enum err ddl__drop_function(struct ddl *ddl, const struct user_function *function);
/* Those whose bodies (BEGIN ATOMIC) use the relation: 2BP01 unless cascade. `what`: "table t". */
enum err ddl__drop_functions_of(struct ddl *ddl, oid_t relation, const char *what, bool cascade);
enum err ddl__drop_functions(struct ddl *ddl, const struct ast_drop_function *statement);
enum err ddl__reindex(struct ddl *ddl, const struct ast_reindex *statement);
enum err ddl__comment(struct ddl *ddl, const struct ast_comment *statement);
enum err ddl__create_view(struct ddl *ddl, const struct ast_create_view *statement);

/* ---- view.c: what depends on what ------------------------------------------------------------ */

/* Drop a locked view. */
enum err ddl__drop_view(struct ddl *ddl, const struct relation *view);
/* Before a relation (column 0) or its column (from 1) goes: the views that look at it go with
 * CASCADE, else 2BP01. `dropping` go anyway. The picture may be a newer one afterwards. */
enum err ddl__drop_dependents(struct ddl *ddl, oid_t oid, uint32_t column, bool cascade,
    const oid_t *dropping, size_t dropping_count);
/* Before a column (from 1) gets another type: 0A000 if a view looks at it. */
enum err ddl__check_retype(struct ddl *ddl, const struct relation *table, uint32_t column);
/* Around a renaming: the views that look at it, before; their new texts stored, after. */
struct view_rename;
struct ddl__followers;
enum err ddl__find_followers(
    struct ddl *ddl, const struct view_rename *rename, struct ddl__followers **followers);
enum err ddl__follow(struct ddl *ddl, const struct ddl__followers *followers);

/* ---- type.c ---------------------------------------------------------------------------------- */

enum err ddl__create_enum(struct ddl *ddl, const struct ast_create_enum *statement);
enum err ddl__alter_enum(struct ddl *ddl, const struct ast_alter_enum *statement);
enum err ddl__alter_type(struct ddl *ddl, const struct ast_alter_table *statement);
enum err ddl__rename_type(
    struct ddl *ddl, const struct ast_table *name, bool domain, const char *to);
/* *found false: there is no such type, nothing said. */
enum err ddl__drop_type(
    struct ddl *ddl, const struct ast_drop *statement, const struct ast_table *name, bool *found);
/* A locked one. quiet: no notice of what goes with it. */
enum err ddl__drop_user_type(struct ddl *ddl, oid_t oid, bool cascade, bool quiet);
enum err ddl__undefined_type(struct ddl *ddl, const struct ast_table *name);
/* The type of this name, locked, in a current picture; NULL: there is none, nothing said. */
enum err ddl__lock_type(struct ddl *ddl, const struct ast_table *name, enum txn_table_lock mode,
    const struct user_type **type);
enum err ddl__store_type(struct ddl *ddl, const struct user_type *type);
/* Claims the name in its schema. */
enum err ddl__claim_type(struct ddl *ddl, const struct user_type *type);
/* Of the kind whose range begins there. */
enum err ddl__new_type_oid(struct ddl *ddl, oid_t first, struct user_type *type);
/* A domain as a table of one column "value": its default and checks are those of a table. */
const struct relation *ddl__domain_relation(struct ddl *ddl, const struct user_type *domain);

/* domain.c */
enum err ddl__create_domain(struct ddl *ddl, const struct ast_create_domain *statement);
enum err ddl__lock_own_domain(
    struct ddl *ddl, const struct ast_table *name, const struct user_type **type);
enum err ddl__alter_domain(
    struct ddl *ddl, const struct user_type *domain, const struct ast_alter_action *action);
enum err ddl__rename_domain_constraint(
    struct ddl *ddl, const struct ast_table *name, const char *from, const char *to);
/* The default and the checks as they are in the edit of ddl__domain_relation. */
enum err ddl__store_domain(
    struct ddl *ddl, const struct user_type *domain, const struct ddl__edit *edit);

enum err ddl__comment_type(struct ddl *ddl, const struct ast_table *name, oid_t *oid);
/* Tables and views are not called as a type of their schema. */
enum err ddl__check_no_type(struct ddl *ddl, const char *schema, const char *name);
/* A user's type that a table or view will use stays until the transaction ends. */
enum err ddl__hold_type(struct ddl *ddl, oid_t oid);
/* Of an expression to be kept: users' types with their schemas. */
const char *ddl__type_names(struct ddl *ddl, const char *text);

/* alter_table.c */
enum err ddl__drop_column(struct ddl *ddl, const struct relation *table, const char *name);
enum err ddl__new_owner(struct ddl *ddl, const char *name, oid_t *owner);

/* Drop one locked table with its trees, names and comments. */
enum err ddl__drop_table(struct ddl *ddl, const struct relation *relation);
/* Take an index out of the edit, with its tree (but not the table's own), name and comments. */
enum err ddl__drop_index(struct ddl *ddl, struct ddl__edit *edit, uint16_t at);

/* ---- database.c ------------------------------------------------------------------------------ */

enum err ddl__create_database(struct ddl *ddl, const struct ast_create_database *statement);
/* *found false: there is none, nothing said. */
enum err ddl__drop_database(struct ddl *ddl, const char *name, bool force, bool *found);
enum err ddl__alter_database(struct ddl *ddl, const struct ast_alter_database *statement);
enum err ddl__rename_database(struct ddl *ddl, const char *from, const char *to);
/* OWNER TO, as are the next. */
enum err ddl__give_database(struct ddl *ddl, const char *name, const char *owner);
enum err ddl__give_schema(struct ddl *ddl, oid_t schema, oid_t owner);
/* 3D000 */
enum err ddl__find_database(struct ddl *ddl, const char *name, const struct database **database);
/* A new schema, with its name; *taken: there is one of this name, and nothing was done. */
enum err ddl__make_schema(
    struct ddl *ddl, oid_t database, const char *name, oid_t owner, oid_t *schema, bool *taken);

/* ---- shard.c ----------------------------------------------------------------------------------
 */

struct ast_shard;
/* relation->sharding, of a relation whose columns are known. */
enum err ddl__define_sharding(
    struct ddl *ddl, struct relation *relation, const struct ast_shard *shard);
/* Keys and columns of a relation that is about to be stored. */
enum err ddl__check_sharding(struct ddl *ddl, const struct relation *relation);
enum err ddl__split_bucket(
    struct ddl *ddl, const struct relation *table, const struct ast_alter_action *action);
/* The table is being dropped. */
enum err ddl__drop_sharding(struct ddl *ddl, const struct relation *table);

#endif /* SQL_DDL_DDL_INTERNAL_H */
