/*
 * sql/catalog/catalog.h - what exists: schemas, relations, columns, indexes, constraints, roles.
 *
 * The truth is tables in the store (trees below TREE_ID_FIRST_USER), changed in transactions like
 * any row. Reading them for each statement would be slow, so sessions look at a struct catalog: an
 * immutable picture read at one snapshot, shared by all sessions by reference count, valid while
 * txn_db_schema_lsn has not moved. A transaction that has itself changed the schema sees a private
 * picture of its own (rebuilt after each of its DDL statements).
 *
 * Pictures own their memory: anything reached from a catalog lives as long as the reference.
 */
#ifndef SQL_CATALOG_CATALOG_H
#define SQL_CATALOG_CATALOG_H

#include <stdatomic.h>

#include "sql/value/value.h"
#include "txn/txn.h"

struct catalog;
struct table_statistics;
struct catalog_store; /* one per database server: the shared current picture and counters */

enum {
    NAME_MAX_BYTES = 63,
    COLUMNS_MAX = 1600,
    INDEX_COLUMNS_MAX = 32,
    INDEX_DERIVED = 0x8000, /* in struct index: not a column, but relation->derived[..] */
    /* PostgreSQL's OIDs of fixed objects. Schema public of the first database, of course: each
     * other database has one of its own. */
    NAMESPACE_PG_CATALOG = 11,
    NAMESPACE_PUBLIC = 2200,
    NAMESPACE_INFORMATION_SCHEMA = 13000,
    DATABASE_TEMPLATE1 = 1,
    DATABASE_TEMPLATE0 = 4,
    DATABASE_POSTGRES = 5,
    OID_FIRST_USER = 16384,
};

struct column {
    const char *name;
    oid_t type;
    int32_t typmod;
    bool not_null;
    bool dropped;
    const char *default_text; /* SQL of the default expression, or NULL; bound at use */
    oid_t domain;             /* of which it is declared, or the array of one; type and typmod are
                                 those of the base type. 0: none */
    char identity;            /* 'a' GENERATED ALWAYS AS IDENTITY, 'd' BY DEFAULT, 0: neither */
    bool generated;           /* default_text is the expression it always has, over the row */
};

/* As it was declared: what bind_coerce takes as the type of the value for it. */
static inline oid_t
column_declared_type(const struct column *column)
{
    return column->domain != 0 ? column->domain : column->type;
}

static inline int32_t
column_declared_typmod(const struct column *column)
{
    return column->domain != 0 ? -1 : column->typmod;
}

enum relation_kind { /* pg_class.relkind */
    RELATION_TABLE = 'r',
    RELATION_INDEX = 'i',
    RELATION_VIEW = 'v',
    RELATION_SEQUENCE = 'S',
    RELATION_VIRTUAL = 'V', /* a catalog view made of functions: rows come from virtual_scan */
};

/* A value over a row of the table that indexes are about: a key that is an expression, or the
 * condition of a partial index (boolean). */
struct derived {
    const char *name; /* as a column of the index: "lower", "expr" */
    const char *text; /* SQL over the table's columns, written back with explicit casts */
    oid_t type;
    int32_t typmod;
};

struct index {
    oid_t oid;
    const char *name;
    tree_id_t tree; /* the table's own tree for its primary key: the table is clustered by it */
    bool unique;
    bool primary;
    bool constraint; /* made by PRIMARY KEY or UNIQUE, not by CREATE INDEX */
    bool nulls_not_distinct;
    uint16_t partial;      /* 0: of all rows; else of those for which derived[partial - 1] holds */
    uint16_t column_count; /* of the key */
    uint16_t included_count; /* INCLUDE: they follow the key's in `columns` */
    /* 0-based column numbers of the table, or INDEX_DERIVED + number in relation->derived. */
    uint16_t columns[INDEX_COLUMNS_MAX];
    uint8_t flags[INDEX_COLUMNS_MAX];   /* enum key_flags per column */
    struct row_layout *included_layout; /* NULL: nothing is included */
};

struct check {
    oid_t oid;
    const char *name;
    const char *text; /* SQL of the condition */
    bool not_valid;   /* NOT VALID: what was there has not been checked */
};

enum foreign_key_action { /* pg_constraint.confdeltype */
    FOREIGN_NO_ACTION = 'a',
    FOREIGN_RESTRICT = 'r',
    FOREIGN_CASCADE = 'c',
    FOREIGN_SET_NULL = 'n',
    FOREIGN_SET_DEFAULT = 'd',
};

/* RELATION_SEQUENCE: its definition. Its values: sequence.h. */
struct sequence {
    oid_t type;
    int64_t start, increment, minimum, maximum, cache;
    bool cycle;
    uint64_t generation; /* names the state that goes with this definition .. */
    int64_t last;        /* .. and how that begins */
    bool called;
    oid_t owner_table; /* OWNED BY; 0: nobody */
    uint16_t owner_column;
    bool identity; /* of an identity column */
};

struct relation;

struct foreign_key {
    oid_t oid;
    const char *name;
    oid_t referenced; /* the table */
    oid_t index;      /* its unique index over the referenced columns, in whatever order */
    uint16_t column_count;
    uint16_t columns[INDEX_COLUMNS_MAX];
    uint16_t referenced_columns[INDEX_COLUMNS_MAX];
    char on_update, on_delete; /* enum foreign_key_action */
    uint16_t set_count;        /* ON DELETE SET NULL (..), SET DEFAULT (..); 0: all columns */
    uint16_t set_columns[INDEX_COLUMNS_MAX];
    bool full; /* MATCH FULL */
    bool deferrable, initially_deferred;
    bool valid; /* false: NOT VALID, what was there has not been checked */
    /* Set in a picture; in an edit what they point to may be older. */
    const struct relation *table, *referenced_table;
    const struct index *referenced_index;
};

struct relation {
    oid_t oid;
    oid_t database; /* its schema's; 0: in all, the catalog's views */
    oid_t schema;
    const char *schema_name;
    const char *name;
    char kind; /* enum relation_kind */
    oid_t owner;
    uint16_t column_count;
    const struct column *columns;
    struct row_layout *layout; /* of all columns, dropped ones included */
    tree_id_t tree;            /* rows: key -> row_encode of all columns */
    /* The primary key, or NULL: then the key is a hidden 8-byte big-endian row id. The key of a row
     * is key_encode of its primary key columns in order. */
    const struct index *primary;
    uint16_t index_count; /* the primary key included */
    const struct index *indexes;
    uint16_t derived_count;
    const struct derived *derived;
    uint16_t check_count;
    const struct check *checks;
    uint16_t foreign_count; /* foreign keys of this table */
    const struct foreign_key *foreign;
    uint32_t referencing_count; /* foreign keys that refer to it, by oid; of a picture */
    const struct foreign_key *const *referencing;
    const struct virtual_table *virtual_table; /* RELATION_VIRTUAL */
    /* Next hidden row id; shared by all pictures. Use catalog_next_row_id. */
    struct row_id_counter *row_ids;
    _Atomic uint64_t *changes; /* of rows: statistics_note_changes; NULL: not counted */
    const struct table_statistics *statistics; /* NULL: none yet */
    const char *view_text;           /* RELATION_VIEW; of a table: it is a materialized view .. */
    bool populated;                  /* .. which has its rows */
    char check_option;               /* of a view: 'l' LOCAL, 'c' CASCADED, 0: none */
    const struct sequence *sequence; /* RELATION_SEQUENCE */
    const struct sharding *sharding; /* sharding.h; NULL: the table is not sharded */
    /* No definition of this relation that was committed after this LSN is in the picture; 0 if it
     * has not changed since the server started. See catalog_check_snapshot. */
    lsn_t changed;
};

/* A materialized view is a table that has a query. */
static inline bool
relation_is_materialized(const struct relation *relation)
{
    return relation->kind == RELATION_TABLE && relation->view_text != NULL;
}

/*
 * Index entries (contract between DDL, executor and checks):
 *   the table's tree           key = key_encode(primary key columns) or row id; value = row
 *   a unique index             key = key_encode(index columns); value = the row's key in the table
 *                              if any indexed column is null, the row's key is appended to the key
 *                              (nulls do not collide; but not if NULLS NOT DISTINCT), and the value
 *                              is the same
 *   any other index            key = key_encode(index columns) + row's key; value = empty
 * The row's key of a non-unique entry is what follows the index columns (key_skip). INCLUDE: behind
 * such a value stand the included columns (row_encode); the row's key in a unique index's value
 * then has its size before it (be16). A partial index has entries of the rows its condition holds
 * for.
 */

/* Rows of a catalog view. emit is called once per row; it copies. */
typedef enum err virtual_scan(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg);

struct virtual_table {
    const char *schema; /* pg_catalog or information_schema */
    const char *name;
    oid_t oid;
    char kind; /* what pg_class.relkind says it is in PostgreSQL: 'r' or 'v' */
    uint16_t column_count;
    const struct column *columns;
    virtual_scan *scan;
};

/* Where the rows of pg_settings, pg_stat_activity, pg_locks and pg_prepared_statements come from:
 * the session's business. Empty until set; once, before the first statement. The values are in the
 * order of the view's columns in PostgreSQL 15. */
void catalog_set_virtual_scan(const char *table, virtual_scan *scan);

/* Can rows be changed through a view? Expressions again: who knows about them registers itself. */
typedef bool view_probe(struct eval *eval, const struct catalog *catalog,
    const struct relation *view, const char *verb);
void catalog_set_view_probe(view_probe *probe);

struct catalog;
struct relation;
/* About how many rows a catalog view has, for the planner. */
double catalog_virtual_rows(const struct catalog *catalog, const struct relation *relation);

/* A label of an enum. Between two of them is room for some forty more, one within the other. */
struct type_label {
    oid_t oid;
    int64_t position; /* the value */
    const char *name;
};

enum {
    TYPE_LABEL_GAP_BITS = 44, /* between labels as they are first made */
};

/* An enum (type_is_enum) or a domain. */
struct user_type {
    oid_t oid, array_oid;
    oid_t schema;
    const char *schema_name;
    const char *name;
    oid_t owner;
    uint32_t label_count;
    const struct type_label *labels; /* in order */
    /* Of a domain */
    oid_t base; /* may be a domain again */
    int32_t typmod;
    bool not_null;
    const char *default_text; /* or NULL */
    uint16_t check_count;
    const struct check *checks; /* the texts call the value "value" */
};

/* The type of this OID, or whose array type has it; NULL: none. */
const struct user_type *catalog_type(const struct catalog *catalog, oid_t oid);
/* By name, schema NULL: along the search path (eval_env's). "_name" is the array type's, which is
 * not looked for. */
const struct user_type *catalog_type_on(const struct catalog *catalog,
    const char *const *search_path, const char *schema, const char *name);
const struct user_type *catalog_type_at(const struct catalog *catalog, size_t position);
/* What values of the type are: of a domain its base type, of an array of one that of the base type;
 * others are what they are. *typmod: the base's for a domain, else untouched. */
oid_t catalog_base_type(const struct catalog *catalog, oid_t oid, int32_t *typmod);
/* Must values be looked at: is anything said about them along the domain's bases? */
bool catalog_domain_constrains(const struct catalog *catalog, oid_t domain);
/* SQL of what a column has that is not given: its own default or its domain's; a plain null where
 * the domain has something to say about that. NULL: null. */
const char *catalog_column_default(const struct catalog *catalog, const struct column *column);
/* The label of this name, or this value; NULL: none. */
const struct type_label *user_type_label(const struct user_type *type, struct slice name);
const struct type_label *user_type_value(const struct user_type *type, int64_t value);

struct role {
    oid_t oid;
    const char *name;
    bool superuser;
    bool login;
    bool createdb, createrole, inherit, replication, bypassrls;
    int32_t connection_limit; /* -1: none */
    int64_t valid_until;      /* timestamptz; INT64_MAX: for ever */
    const char *password;     /* a SCRAM verifier (access.h), or NULL */
};

/* ALTER ROLE .. [IN DATABASE ..] SET, ALTER DATABASE .. SET. 0: of any. */
struct catalog_setting {
    oid_t database, role;
    const char *name, *value;
};
const struct catalog_setting *catalog_setting_at(const struct catalog *catalog, size_t position);

/* ---- the shared picture
 * -------------------------------------------------------------------------- */

/* Opens the catalog over a recovered store; in a new one creates the catalog trees, the databases
 * "postgres", "template0" and "template1" with a schema public each, superuser "postgres" and a
 * superuser named `system_user`. */
enum err catalog_open(struct task *task, struct txn_db *db, const char *system_user,
    struct catalog_store **store, struct diag *diag);
void catalog_close(struct catalog_store *store);

/*
 * The picture for the next statement of this transaction (which is active). Counts a reference;
 * sleeps only if it must be read anew. Cheap when nothing changed: two loads and a count.
 *
 * It is of the database that txn_scope names: of schemas, relations, types and functions it has
 * those of this database and the system's, so that names mean what they mean there; roles,
 * databases, grants, settings and comments are all there are. Scope 0 gives the whole picture, in
 * which OIDs lead to everything, but a name to any database's: for who works through all of them.
 */
enum err catalog_get(struct task *task, struct catalog_store *store, struct txn *txn,
    struct catalog **catalog, struct diag *diag);
/* The same of a database that need not be the transaction's; 0: the whole. */
enum err catalog_get_database(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t database, struct catalog **catalog, struct diag *diag);
/* The picture of all databases that this one is cut from; held as long as this one is. */
const struct catalog *catalog_whole(const struct catalog *catalog);
struct catalog *catalog_hold(struct catalog *catalog); /* one reference more */
void catalog_release(struct catalog *catalog);
/* Identifies the picture's content: equal versions are equal pictures (plan cache key). */
uint64_t catalog_version(const struct catalog *catalog);
/* True if catalog_get would give this very picture now. For who keeps a reference from statement to
 * statement, and after having waited for a table lock (a DDL commit moves the schema LSN before it
 * lets go of its locks). Two loads, no latch, for a shared picture. */
bool catalog_is_current(
    const struct catalog *catalog, struct catalog_store *store, const struct txn *txn);
/* Of the routes that go with these definitions (buckets.h, BU4); 0: no router has made any. */
uint64_t catalog_route_epoch(const struct catalog *catalog);
/* The transaction's next catalog_get must read anew. Called by DDL after its changes, and by the
 * session after ROLLBACK TO SAVEPOINT if txn_changes_schema(txn). */
void catalog_invalidate(struct catalog_store *store, struct txn *txn);
/* The transaction has ended (either way) or its struct is about to be deleted: its private picture
 * goes. Needed only if it changed the schema; harmless otherwise. */
void catalog_transaction_ended(struct catalog_store *store, struct txn *txn);

/* ---- looking up
 * ------------------------------------------------------------------------------------ */

/* schema == NULL: along the path pg_catalog, then public. NULL if there is none. */
const struct relation *catalog_relation(
    const struct catalog *catalog, const char *schema, const char *name);
/* database.schema.table must be of our own database: 0A000. */
struct ast_table;
enum err catalog_check_database(
    const struct eval_env *env, const struct ast_table *name, struct diag *diag);
/* The same along a search path (eval_env's; pg_catalog first unless it is named there). */
const struct relation *catalog_relation_on(const struct catalog *catalog,
    const char *const *search_path, const char *schema, const char *name);
const struct index *catalog_index_on(const struct catalog *catalog, const char *const *search_path,
    const char *schema, const char *name, const struct relation **table);
/* Temporary objects are those of a schema pg_temp_N, N being the session's pid, which is the first
 * of its search path always (found before pg_catalog; and "pg_temp" means it), and which exists
 * from the session's first temporary object to the session's end. */
bool catalog_is_temporary(const char *schema_name);
static inline bool
relation_is_temporary(const struct relation *relation)
{
    return catalog_is_temporary(relation->schema_name);
}
/* The session's own, as the path has it; NULL: it has none. */
const char *catalog_temporary_schema(const char *const *search_path);
/* The first schema of the path that exists: where things are created; not the temporary one. NULL:
 * none does. */
const char *catalog_creation_schema(const struct catalog *catalog, const char *const *search_path);
const struct relation *catalog_relation_by_oid(const struct catalog *catalog, oid_t oid);
/* The index of this name and its table. */
const struct index *catalog_index(const struct catalog *catalog, const char *schema,
    const char *name, const struct relation **table);
oid_t catalog_schema(const struct catalog *catalog, const char *name); /* 0: none */
const char *catalog_schema_name(const struct catalog *catalog, oid_t oid);
const struct role *catalog_role(const struct catalog *catalog, const char *name);
/* Iterate: returns NULL at the end. User relations and virtual tables alike, stable order. */
const struct relation *catalog_relation_at(const struct catalog *catalog, size_t position);
/* Whose tree is it? *index: the index, also of a table clustered by its primary key, or NULL. */
const struct relation *catalog_relation_of_tree(
    const struct catalog *catalog, tree_id_t tree, const struct index **index);
const struct role *catalog_role_at(const struct catalog *catalog, size_t position);
/* A schema. They are looked at likewise: false at the end. */
struct catalog_entry {
    oid_t oid;
    oid_t owner;
    oid_t database; /* 0: in all, the system's own */
    const char *name;
};
bool catalog_schema_at(const struct catalog *catalog, size_t position, struct catalog_entry *entry);
bool catalog_schema_by_oid(const struct catalog *catalog, oid_t oid, struct catalog_entry *entry);

struct database {
    oid_t oid;
    oid_t owner;
    const char *name;
    bool is_template;         /* whoever may create databases may copy it */
    bool no_connections;      /* nobody may connect */
    int32_t connection_limit; /* -1: none */
};
const struct database *catalog_database(const struct catalog *catalog, const char *name);
const struct database *catalog_database_by_oid(const struct catalog *catalog, oid_t oid);
const struct database *catalog_database_at(const struct catalog *catalog, size_t position);
/* The index of this OID and its table. */
const struct index *catalog_index_by_oid(
    const struct catalog *catalog, oid_t oid, const struct relation **table);
/* A type as format_type shows it; NULL: there is no such type. */
struct ast_type;
const char *catalog_type_text(
    const struct eval_env *env, struct arena *arena, const struct ast_type *type);
/* A column of an index as pg_get_indexdef shows it: a quoted name, f(x), or (a + b). */
const char *catalog_index_column_text(const struct eval_env *env, struct arena *arena,
    const struct relation *table, const struct index *index, uint16_t at, bool pretty);
/* A kept expression as pg_get_expr shows it. env: for the names of users' types; NULL: as kept. */
const char *catalog_expression_text(
    const struct eval_env *env, struct arena *arena, const char *text, bool pretty, bool *is_call);
/* A function of a user, kept as the text of its CREATE FUNCTION. */
struct user_function {
    oid_t oid, schema, owner;
    const char *schema_name, *name, *text;
};
const struct user_function *catalog_function_at(const struct catalog *catalog, size_t position);
const struct user_function *catalog_function_by_oid(const struct catalog *catalog, oid_t oid);
struct ast_create_function;
/* Its tree; NULL: the text is damaged. */
const struct ast_create_function *catalog_function_definition(
    struct arena *arena, const struct user_function *function);
/* Has it this option ("strict", "immutable", "set")? Of ALTER's the last word counts. */
bool catalog_function_is(const struct ast_create_function *definition, const char *option);
const char *catalog_function_body(const struct ast_create_function *definition);
/* COST, ROWS; PARALLEL's first letter. */
double catalog_function_number(
    const struct ast_create_function *definition, const char *option, double otherwise);
char catalog_function_parallel(const struct ast_create_function *definition);
/* BEGIN ATOMIC or RETURN, not a string. */
bool catalog_function_is_atomic(const struct ast_create_function *definition);
const char *catalog_function_language(const struct ast_create_function *definition);
struct ast_set;
/* SET: its value as pg_proc.proconfig has it. */
char *catalog_function_setting(struct arena *arena, const struct ast_set *set);
/* As pg_get_functiondef. */
char *catalog_function_text(
    const struct eval_env *env, struct arena *arena, const struct user_function *function);
/* "a integer, b text DEFAULT 'x'::text": as \\df shows it; the result likewise (NULL: a
 * procedure). */
char *catalog_function_arguments(const struct eval_env *env, struct arena *arena,
    const struct ast_create_function *definition, bool defaults);
/* "f(integer,text)", its input parameters: the name quoted where need be. */
const char *catalog_function_signature(
    const struct eval_env *env, struct arena *arena, const struct user_function *function);
char *catalog_function_result(
    const struct eval_env *env, struct arena *arena, const struct ast_create_function *definition);
/* The query of a view as pg_get_viewdef shows it. */
const char *catalog_view_definition(struct arena *arena, const struct catalog *catalog,
    const char *const *search_path, const struct relation *view, bool pretty);
/* Text of COMMENT ON, or NULL. class_oid as in pg_description (pg_class 1259, pg_namespace 2615..);
 * sub: column number from 1, or 0. */
const char *catalog_comment(const struct catalog *catalog, oid_t class_oid, oid_t oid, int32_t sub);

/*
 * A statement takes the picture first, then locks its tables, makes sure that the picture is still
 * current, and only then takes its snapshot: so in READ COMMITTED the snapshot sees all that built
 * the indexes and trees it uses. A REPEATABLE READ transaction's snapshot may be older than an
 * index or a rewritten tree, whose rows it would not see: this check refuses it (40001), where
 * PostgreSQL would let it see an emptied table. Call for each locked relation.
 */
enum err catalog_check_snapshot(
    const struct relation *relation, struct txn_snapshot snapshot, struct diag *diag);

/* A default's text as it is shown: laid out, its sequences by name. */
const char *catalog_default_text(const struct eval_env *env, struct arena *arena, const char *text);
/* Does this default (may be NULL) take values of the sequence? */
bool catalog_default_calls(const char *text, oid_t sequence);
/* A sequence that belongs to the column, or (-1) to any column of the table; NULL: none. */
const struct relation *catalog_owned_sequence(
    const struct catalog *catalog, oid_t table, int column);

/* The foreign key of this OID; NULL: none. */
const struct foreign_key *catalog_foreign_key(const struct catalog *catalog, oid_t oid);

int relation_column(const struct relation *relation, const char *name); /* -1: none */

/* A fresh hidden row id for a table without primary key; unique for ever. May sleep the first time
 * (it looks at the last key of the tree). */
enum err catalog_next_row_id(struct task *task, struct catalog_store *store,
    const struct relation *relation, uint64_t *row_id, struct diag *diag);

#endif /* SQL_CATALOG_CATALOG_H */
