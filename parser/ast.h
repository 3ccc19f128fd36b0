/*
 * parser/ast.h - the syntax tree.
 *
 * What the text says and nothing more: no name is looked up, no type is known. It follows
 * PostgreSQL's raw parse tree in meaning. Every node begins with a struct ast_node; AST_AS(node,
 * select) gives the struct ast_select behind it (the kind AST_SELECT belongs to struct ast_select,
 * and so on for all).
 *
 * Invariants
 *   A1. Trees are acyclic, live in the arena given to the parser, and are never changed after it.
 *   A2. No path from a statement downwards meets more than AST_DEPTH_MAX nodes whose kind can nest
 *       (expressions, selects, joins); longer ones are ERR_STATEMENT_TOO_COMPLEX. AND and OR are
 *       lists, so a chain of ten thousand of them is one level. Whoever recurses over a tree still
 *       asks task_stack_left: the bound says how deep, not how much stack a level costs.
 *   A3. An absent list is NULL or empty, never a list with NULL items; an absent name is NULL.
 *   A4. Names are folded to lower case (unless quoted) and cut at 63 bytes; all strings end in NUL
 *       and hold no other NUL.
 *   A5. location is a byte offset into the text, where PostgreSQL points for errors; -1: none.
 */
#ifndef PARSER_AST_H
#define PARSER_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

enum {
    AST_DEPTH_MAX = 500,
};

enum ast_kind {
    /* expressions */
    AST_CONST,
    AST_PARAM,
    AST_COLUMN,
    AST_OP,
    AST_BOOL,
    AST_CALL,
    AST_CASE,
    AST_WHEN,
    AST_LIST_CALL, /* COALESCE, NULLIF, GREATEST, LEAST */
    AST_IN,
    AST_ANY,
    AST_EXISTS,
    AST_SUBQUERY,
    AST_BETWEEN,
    AST_LIKE,
    AST_IS,
    AST_DISTINCT_FROM,
    AST_CAST,
    AST_ROW,
    AST_ARRAY,
    AST_COLLATE,
    AST_SUBSCRIPT,
    AST_FIELD,
    AST_SQL_VALUE, /* CURRENT_DATE, CURRENT_USER .. */
    AST_DEFAULT,   /* the word DEFAULT in VALUES and SET */
    AST_NAMED_ARG, /* f(name => x) */
    AST_GROUPING,  /* ROLLUP, CUBE, GROUPING SETS, () in GROUP BY; GROUPING(..) anywhere */
    /* parts */
    AST_NAME,
    AST_TYPE,
    AST_TARGET,
    AST_SORT,
    AST_WINDOW,
    AST_CTE,
    AST_LOCKING,
    AST_TABLE, /* a table by name */
    AST_RANGE_SUBQUERY,
    AST_RANGE_FUNCTION,
    AST_JOIN,
    AST_COLUMN_DEF,
    AST_CONSTRAINT,
    AST_LIKE_TABLE,
    AST_SHARD,
    AST_SHARD_LIST,
    AST_OPTION,
    AST_INDEX_COLUMN,
    AST_ALTER_ACTION,
    AST_CONFLICT,
    AST_STATEMENT,
    /* statements */
    AST_SELECT, /* also VALUES and TABLE t */
    AST_INSERT,
    AST_UPDATE,
    AST_DELETE,
    AST_CREATE_TABLE,
    AST_CREATE_TABLE_AS, /* also SELECT INTO */
    AST_CREATE_INDEX,
    AST_CREATE_VIEW,
    AST_CREATE_SCHEMA,
    AST_CREATE_SEQUENCE,
    AST_CREATE_DATABASE,
    AST_CREATE_ROLE,
    AST_CREATE_ENUM,
    AST_ALTER_ENUM,
    AST_CREATE_DOMAIN,
    AST_DROP,
    AST_ALTER_TABLE, /* also ALTER INDEX, VIEW, SEQUENCE where the action is one of its */
    AST_ALTER_SEQUENCE,
    AST_ALTER_CLUSTER,
    AST_ALTER_ROLE,
    AST_ALTER_DATABASE,
    AST_ALTER_SYSTEM,
    AST_RENAME,
    AST_TRUNCATE,
    AST_TRANSACTION,
    AST_SET,
    AST_SET_TRANSACTION,
    AST_SHOW,
    AST_DISCARD,
    AST_COPY,
    AST_EXPLAIN,
    AST_PREPARE,
    AST_EXECUTE,
    AST_DEALLOCATE,
    AST_DECLARE_CURSOR,
    AST_FETCH,
    AST_CLOSE_CURSOR,
    AST_LOCK,
    AST_VACUUM, /* also ANALYZE */
    AST_REINDEX,
    AST_REFRESH,
    AST_OWNED,
    AST_ALTER_DEFAULT,
    AST_CLUSTER,
    AST_CHECKPOINT,
    AST_COMMENT,
    AST_GRANT, /* also REVOKE */
    AST_NOTIFY,
    AST_CREATE_SAGA,
    AST_DROP_SAGA,
    AST_START_SAGA,
    AST_ALTER_SAGA,
    AST_SAGA_PARAM,
    AST_SAGA_STEP,
    AST_DO,
    AST_CREATE_FUNCTION,
    AST_DROP_FUNCTION,
    AST_ALTER_FUNCTION,
    AST_FUNCTION_PARAM,
    AST_CALL_STATEMENT,
    AST_SET_CONSTRAINTS,
    AST_UNSUPPORTED, /* a command PostgreSQL has and we do not: only its name is known */
    AST_KIND_COUNT
};

struct ast_node {
    uint16_t kind;  /* enum ast_kind */
    uint16_t depth; /* nodes on the longest way down, this one included (A2) */
    int32_t location;
};

/* Items are of the kinds the field's comment names. */
struct ast_list {
    struct ast_node **items;
    uint32_t count;
    uint32_t capacity;
};

static inline uint32_t
ast_list_count(const struct ast_list *list)
{
    return list == NULL ? 0 : list->count;
}

static inline struct ast_node *
ast_list_at(const struct ast_list *list, uint32_t index)
{
    ASSERT(list != NULL && index < list->count);
    return list->items[index];
}

/* AST_FOREACH(at, select->targets) { ... *at ... } : at is a struct ast_node *const *. */
#define AST_FOREACH(at, list)                                                              \
    for (struct ast_node *const *at = (list) == NULL ? NULL : (list)->items,               \
                                *const *at##_end = at == NULL ? NULL : at + (list)->count; \
         at != at##_end; at++)

/* ---- expressions --------------------------------------------------------------------------- */

enum ast_const_kind {
    AST_CONST_NULL,
    AST_CONST_BOOL,
    AST_CONST_INTEGER, /* fits int64; int4 if it fits that, else int8 */
    AST_CONST_NUMERIC, /* digits, point, exponent, in text */
    AST_CONST_STRING,  /* quoted; type unknown */
    AST_CONST_BIT,     /* text: 0s and 1s */
    AST_CONST_HEX,     /* a bit string written X'..'; text: hexadecimal digits */
};

struct ast_const {
    struct ast_node node;
    enum ast_const_kind kind;
    bool boolean;
    int64_t integer;
    const char *text; /* of NUMERIC, STRING, BIT, HEX, INTEGER */
    uint32_t size;
};

struct ast_param {
    struct ast_node node;
    uint32_t number; /* $1 is 1; never 0 */
};

/* a, t.a, s.t.a, c.s.t.a; with star: *, t.*, s.t.* (then parts name the table; count may be 0). */
struct ast_column {
    struct ast_node node;
    const char *parts[4];
    uint32_t count;
    bool star;
};

/* schema: OPERATOR(schema.+), else NULL. left NULL: prefix. Also "=", "<>" (for != too). */
struct ast_op {
    struct ast_node node;
    const char *schema;
    const char *name;
    struct ast_node *left;
    struct ast_node *right;
};

enum ast_bool_kind {
    AST_BOOL_AND, /* two or more, flattened */
    AST_BOOL_OR,
    AST_BOOL_NOT, /* one */
};

struct ast_bool {
    struct ast_node node;
    enum ast_bool_kind kind;
    struct ast_list *list;
};

enum ast_frame_unit {
    AST_FRAME_RANGE,
    AST_FRAME_ROWS,
    AST_FRAME_GROUPS,
};

enum ast_frame_bound_kind { /* in the order in which a frame may have them */
    AST_UNBOUNDED_PRECEDING,
    AST_OFFSET_PRECEDING,
    AST_CURRENT_ROW,
    AST_OFFSET_FOLLOWING,
    AST_UNBOUNDED_FOLLOWING,
};

enum ast_frame_exclusion {
    AST_EXCLUDE_NO_OTHERS,
    AST_EXCLUDE_CURRENT_ROW,
    AST_EXCLUDE_GROUP,
    AST_EXCLUDE_TIES,
};

struct ast_frame_bound {
    enum ast_frame_bound_kind kind;
    struct ast_node *offset;
    int32_t location;
};

struct ast_frame {
    enum ast_frame_unit unit;
    struct ast_frame_bound start, end; /* without BETWEEN the end is the current row */
    enum ast_frame_exclusion exclusion;
};

struct ast_window {
    struct ast_node node;
    const char *name; /* of WINDOW name AS (..); for OVER name: only this, and reference is true */
    const char *base; /* (base PARTITION ..) */
    bool reference;
    struct ast_frame *frame; /* NULL: no frame clause was written */
    struct ast_list *partition;
    struct ast_list *order; /* AST_SORT */
};

/* Also what PostgreSQL turns into calls: EXTRACT(f FROM x) is pg_catalog.extract('f', x),
 * SUBSTRING, TRIM (btrim, ltrim, rtrim), POSITION(a IN b) is position(b, a), OVERLAY, x AT TIME
 * ZONE z is timezone(z, x), SIMILAR's pattern (see AST_LIKE). */
struct ast_call {
    struct ast_node node;
    const char *schema;
    const char *name;
    struct ast_list *args; /* an AST_NAMED_ARG is possible */
    bool star;             /* count(*) */
    bool distinct;
    bool variadic;           /* the last argument said VARIADIC */
    bool special;            /* written in SQL's special form, not as f(..) */
    bool within_group;       /* order is WITHIN GROUP's */
    struct ast_list *order;  /* AST_SORT */
    struct ast_node *filter; /* FILTER (WHERE ..) */
    struct ast_window *over;
};

struct ast_when {
    struct ast_node node;
    struct ast_node *condition;
    struct ast_node *result;
};

struct ast_case {
    struct ast_node node;
    struct ast_node *subject; /* CASE subject WHEN ..; else NULL */
    struct ast_list *whens;   /* AST_WHEN */
    struct ast_node *otherwise;
};

enum ast_list_call_kind {
    AST_COALESCE,
    AST_NULLIF, /* two arguments */
    AST_GREATEST,
    AST_LEAST,
};

struct ast_list_call {
    struct ast_node node;
    enum ast_list_call_kind kind;
    struct ast_list *list;
};

struct ast_select;

struct ast_in {
    struct ast_node node;
    bool negated;
    struct ast_node *left;
    struct ast_list *list; /* or */
    struct ast_select *query;
};

/* left op ANY|ALL (array or subquery). */
struct ast_any {
    struct ast_node node;
    bool all;
    const char *op; /* LIKE ANY is "~~" and so on */
    struct ast_node *left;
    struct ast_node *array; /* or */
    struct ast_select *query;
};

struct ast_exists {
    struct ast_node node;
    struct ast_select *query;
};

struct ast_subquery {
    struct ast_node node;
    bool array; /* ARRAY(SELECT ..) */
    struct ast_select *query;
};

struct ast_between {
    struct ast_node node;
    bool negated;
    bool symmetric;
    struct ast_node *operand;
    struct ast_node *low;
    struct ast_node *high;
};

enum ast_like_kind {
    AST_LIKE_LIKE,
    AST_LIKE_ILIKE,
    AST_LIKE_SIMILAR,
};

struct ast_like {
    struct ast_node node;
    enum ast_like_kind kind;
    bool negated;
    struct ast_node *operand;
    struct ast_node *pattern;
    struct ast_node *escape; /* NULL: not written */
};

enum ast_is_kind {
    AST_IS_NULL,
    AST_IS_TRUE,
    AST_IS_FALSE,
    AST_IS_UNKNOWN,
    AST_IS_OTHER, /* IS DOCUMENT, NORMALIZED, JSON: to be refused */
};

struct ast_is {
    struct ast_node node;
    enum ast_is_kind kind;
    bool negated;
    struct ast_node *operand;
};

struct ast_distinct_from {
    struct ast_node node;
    bool negated;
    struct ast_node *left;
    struct ast_node *right;
};

enum ast_interval_fields { /* bits, for interval's typmod */
    AST_INTERVAL_YEAR = 1,
    AST_INTERVAL_MONTH = 2,
    AST_INTERVAL_DAY = 4,
    AST_INTERVAL_HOUR = 8,
    AST_INTERVAL_MINUTE = 16,
    AST_INTERVAL_SECOND = 32,
};

/* A type's name. Words of the grammar arrive as PostgreSQL's internal names with schema
 * "pg_catalog": INTEGER is int4, CHARACTER VARYING varchar, CHAR bpchar (with modifier 1 if none
 * was written), TIMESTAMP WITH TIME ZONE timestamptz, DOUBLE PRECISION and FLOAT(>24) float8. */
struct ast_type {
    struct ast_node node;
    const char *schema; /* NULL if not written */
    const char *name;
    struct ast_list *modifiers; /* expressions, in practice AST_CONST */
    uint32_t interval_fields;   /* INTERVAL YEAR TO MONTH; 0: all */
    uint32_t array_dimensions;  /* integer[][] is 2 */
    bool setof;
    bool percent_type; /* column%TYPE: to be refused */
};

enum ast_cast_form {
    AST_CAST_CAST,    /* CAST(x AS t) */
    AST_CAST_COLONS,  /* x::t */
    AST_CAST_LITERAL, /* t 'x' */
};

struct ast_cast {
    struct ast_node node; /* location: of ::, CAST or the type name */
    enum ast_cast_form form;
    struct ast_node *operand;
    struct ast_type *type;
};

struct ast_row {
    struct ast_node node;
    bool explicit_row; /* ROW(..), else (a, b) */
    struct ast_list *list;
};

struct ast_array {
    struct ast_node node;
    struct ast_list *list;
};

struct ast_collate {
    struct ast_node node;
    struct ast_node *operand;
    const char *schema;
    const char *name;
};

struct ast_subscript {
    struct ast_node node;
    struct ast_node *operand;
    bool slice;
    struct ast_node *lower; /* slices; may be NULL */
    struct ast_node *upper; /* the subscript; in a slice may be NULL */
};

/* (composite).field; name NULL: (composite).* */
struct ast_field {
    struct ast_node node;
    struct ast_node *operand;
    const char *name;
};

enum ast_sql_value_kind {
    AST_CURRENT_DATE,
    AST_CURRENT_TIME,
    AST_CURRENT_TIMESTAMP,
    AST_LOCALTIME,
    AST_LOCALTIMESTAMP,
    AST_CURRENT_USER,
    AST_CURRENT_ROLE,
    AST_SESSION_USER,
    AST_USER,
    AST_CURRENT_CATALOG,
    AST_CURRENT_SCHEMA,
};

struct ast_sql_value {
    struct ast_node node;
    enum ast_sql_value_kind kind;
    int32_t precision; /* -1: none */
};

struct ast_default {
    struct ast_node node;
};

struct ast_named_arg {
    struct ast_node node;
    const char *name;
    struct ast_node *value;
};

enum ast_grouping_kind {
    AST_GROUPING_EMPTY, /* () */
    AST_GROUPING_ROLLUP,
    AST_GROUPING_CUBE,
    AST_GROUPING_SETS, /* its items may be AST_GROUPING too */
    AST_GROUPING_CALL, /* the expression GROUPING(a, b) */
};

/* (a, b) as an item of ROLLUP, CUBE, GROUPING SETS and GROUP BY is an AST_ROW without ROW. */
struct ast_grouping {
    struct ast_node node;
    enum ast_grouping_kind kind;
    struct ast_list *list;
};

/* ---- parts of statements --------------------------------------------------------------------- */

struct ast_name {
    struct ast_node node;
    const char *text;
};

/* In SELECT and RETURNING: expression [AS name]. In INSERT's column list: name (and indirection).
 * In UPDATE's SET and ON CONFLICT's: name = value. (a, b) = (SELECT ..) or any row expression: the
 * targets share `value`, with column_count columns of which this is the column-th (0-based);
 * (a, b) = (1, 2) and ROW(1, 2) are already taken apart into single targets. */
struct ast_target {
    struct ast_node node;
    const char *name;
    struct ast_node *value;
    uint32_t column;
    uint32_t column_count;        /* 0: a single assignment */
    struct ast_list *indirection; /* a[1] = .., a.b = ..: AST_SUBSCRIPT, AST_NAME; or NULL */
};

enum ast_sort_order {
    AST_SORT_DEFAULT,
    AST_SORT_ASC,
    AST_SORT_DESC,
    AST_SORT_USING,
};

enum ast_nulls {
    AST_NULLS_DEFAULT,
    AST_NULLS_FIRST,
    AST_NULLS_LAST,
};

struct ast_sort {
    struct ast_node node;
    struct ast_node *expr;
    enum ast_sort_order order;
    enum ast_nulls nulls;
    const char *using_op;
};

struct ast_with {
    bool recursive;
    int32_t location;
    struct ast_list *ctes; /* AST_CTE; NULL: no WITH */
};

struct ast_cte {
    struct ast_node node;
    const char *name;
    struct ast_list *columns; /* AST_NAME */
    int8_t materialized;      /* 1 MATERIALIZED, 0 NOT MATERIALIZED, -1 not said */
    struct ast_node *query;   /* select, insert, update, delete */
};

enum ast_lock_strength {
    AST_LOCK_KEY_SHARE,
    AST_LOCK_SHARE,
    AST_LOCK_NO_KEY_UPDATE,
    AST_LOCK_UPDATE,
};

enum ast_lock_wait {
    AST_LOCK_WAIT,
    AST_LOCK_NOWAIT,
    AST_LOCK_SKIP,
};

struct ast_locking {
    struct ast_node node;
    enum ast_lock_strength strength;
    enum ast_lock_wait wait;
    struct ast_list *tables; /* AST_TABLE; NULL: all */
};

/* A relation by name, in FROM or as a statement's object. */
struct ast_table {
    struct ast_node node;
    const char *catalog;
    const char *schema;
    const char *name;
    bool only; /* ONLY t */
    const char *alias;
    struct ast_list *columns; /* alias (a, b): AST_NAME */
    bool sample;              /* TABLESAMPLE: to be refused */
};

struct ast_range_subquery {
    struct ast_node node;
    bool lateral;
    struct ast_select *query;
    const char *alias;
    struct ast_list *columns; /* AST_NAME */
};

struct ast_range_function {
    struct ast_node node;
    bool lateral;
    bool ordinality;
    bool rows_from;
    struct ast_list *calls; /* one, or several of ROWS FROM: AST_CALL, AST_SQL_VALUE, .. */
    const char *alias;
    struct ast_list *columns;     /* AST_NAME */
    struct ast_list *column_defs; /* AST_COLUMN_DEF: AS t(a int, b text) */
};

enum ast_join_kind {
    AST_JOIN_CROSS,
    AST_JOIN_INNER,
    AST_JOIN_LEFT,
    AST_JOIN_RIGHT,
    AST_JOIN_FULL,
};

struct ast_join {
    struct ast_node node;
    enum ast_join_kind kind;
    bool natural;
    struct ast_node *left; /* AST_TABLE, AST_RANGE_*, AST_JOIN */
    struct ast_node *right;
    struct ast_list *using_columns; /* AST_NAME */
    const char *using_alias;        /* USING (..) AS alias */
    struct ast_node *condition;
    const char *alias;        /* (a JOIN b ..) AS alias */
    struct ast_list *columns; /* AST_NAME */
};

/* ---- queries --------------------------------------------------------------------------------- */

enum ast_set_operation {
    AST_SET_NONE,
    AST_SET_UNION,
    AST_SET_INTERSECT,
    AST_SET_EXCEPT,
};

enum ast_distinct {
    AST_DISTINCT_NONE,
    AST_DISTINCT_ROW,
    AST_DISTINCT_ON,
};

/* A leaf has targets or values; a set operation has left and right. with, order, limit, offset and
 * locking belong to either. */
struct ast_select {
    struct ast_node node;
    int32_t paren; /* location of the parenthesis around it, where there is one */
    struct ast_with with;
    enum ast_set_operation op;
    bool all; /* UNION ALL */
    struct ast_select *left;
    struct ast_select *right;
    struct ast_list *values; /* VALUES: AST_ROW each */
    enum ast_distinct distinct;
    struct ast_list *distinct_on; /* expressions */
    struct ast_list *targets;     /* AST_TARGET; may be empty */
    struct ast_table *into;       /* set only inside; a statement SELECT INTO is CREATE TABLE AS */
    struct ast_list *from;        /* AST_TABLE, AST_RANGE_*, AST_JOIN */
    struct ast_node *where;
    bool group_distinct;
    struct ast_list *group; /* expressions, AST_GROUPING */
    struct ast_node *having;
    struct ast_list *windows; /* AST_WINDOW */
    struct ast_list *order;   /* AST_SORT */
    struct ast_node *limit;   /* NULL: none, and so is LIMIT ALL */
    bool limit_with_ties;
    struct ast_node *offset;
    struct ast_list *locking; /* AST_LOCKING */
};

enum ast_overriding {
    AST_OVERRIDING_NONE,
    AST_OVERRIDING_USER,
    AST_OVERRIDING_SYSTEM,
};

struct ast_conflict {
    struct ast_node node;
    struct ast_list *columns;     /* AST_INDEX_COLUMN */
    struct ast_node *index_where; /* (columns) WHERE .. */
    const char *constraint;       /* ON CONSTRAINT name */
    bool update;                  /* DO UPDATE, else DO NOTHING */
    struct ast_list *set;         /* AST_TARGET */
    struct ast_node *where;
};

struct ast_insert {
    struct ast_node node;
    struct ast_with with;
    struct ast_table *table;
    struct ast_list *columns;  /* AST_TARGET without value; NULL: none written */
    struct ast_select *source; /* NULL: DEFAULT VALUES */
    enum ast_overriding overriding;
    struct ast_conflict *conflict;
    struct ast_list *returning; /* AST_TARGET */
};

struct ast_update {
    struct ast_node node;
    struct ast_with with;
    struct ast_table *table;
    struct ast_list *set; /* AST_TARGET */
    struct ast_list *from;
    struct ast_node *where;
    const char *where_current_of; /* WHERE CURRENT OF cursor */
    struct ast_list *returning;
};

struct ast_delete {
    struct ast_node node;
    struct ast_with with;
    struct ast_table *table;
    struct ast_list *using_from;
    struct ast_node *where;
    const char *where_current_of;
    struct ast_list *returning;
};

/* ---- definitions ----------------------------------------------------------------------------- */

/* name = value, as in WITH (fillfactor = 70), COPY's and EXPLAIN's and CREATE ROLE's options. */
struct ast_option {
    struct ast_node node;
    const char *schema; /* toast.autovacuum_enabled */
    const char *name;
    struct ast_node *value; /* AST_CONST (words as strings), AST_TYPE; NULL: none or a list */
    struct ast_list *list;  /* (a, b): AST_NAME; (*): one AST_COLUMN with star */
};

enum ast_persistence {
    AST_PERMANENT,
    AST_TEMPORARY,
    AST_UNLOGGED,
};

struct ast_column_def {
    struct ast_node node;
    const char *name;
    struct ast_type *type; /* NULL in CREATE TABLE AS lists */
    const char *collation;
    struct ast_list *constraints; /* AST_CONSTRAINT, in order of writing */
};

enum ast_constraint_kind {
    AST_CONSTRAINT_NULL, /* the word NULL */
    AST_CONSTRAINT_NOT_NULL,
    AST_CONSTRAINT_DEFAULT,
    AST_CONSTRAINT_IDENTITY,
    AST_CONSTRAINT_GENERATED, /* AS (expr) STORED */
    AST_CONSTRAINT_CHECK,
    AST_CONSTRAINT_PRIMARY,
    AST_CONSTRAINT_UNIQUE,
    AST_CONSTRAINT_FOREIGN,
    AST_CONSTRAINT_EXCLUDE, /* parsed to be refused */
};

enum ast_fk_action {
    AST_FK_NO_ACTION,
    AST_FK_RESTRICT,
    AST_FK_CASCADE,
    AST_FK_SET_NULL,
    AST_FK_SET_DEFAULT,
};

enum ast_fk_match {
    AST_FK_SIMPLE,
    AST_FK_FULL,
    AST_FK_PARTIAL,
};

struct ast_constraint {
    struct ast_node node;
    enum ast_constraint_kind kind;
    const char *name;      /* CONSTRAINT name */
    struct ast_node *expr; /* CHECK, DEFAULT, GENERATED */
    /* The text of expr, byte range in the statement text, without surrounding blanks: what the
     * catalog stores. */
    int32_t expr_start;
    int32_t expr_size;
    struct ast_list *columns;   /* of a table constraint, AST_NAME; NULL on a column's own */
    struct ast_list *including; /* INCLUDE (..) */
    struct ast_list *options;   /* WITH (..) */
    const char *using_index;    /* ADD CONSTRAINT .. USING INDEX name */
    bool nulls_not_distinct;
    bool no_inherit;
    bool always;             /* IDENTITY: GENERATED ALWAYS */
    struct ast_table *table; /* REFERENCES */
    struct ast_list *table_columns;
    enum ast_fk_match match;
    enum ast_fk_action on_update;
    enum ast_fk_action on_delete;
    struct ast_list *set_columns; /* ON DELETE SET NULL (..): AST_NAME; NULL: all */
    bool deferrable;
    bool initially_deferred;
    bool not_valid;
};

struct ast_like_table {
    struct ast_node node;
    struct ast_table *table;
    struct ast_list *options; /* AST_NAME, e.g. "including all", "excluding defaults" */
};

enum ast_on_commit {
    AST_ON_COMMIT_NONE,
    AST_ON_COMMIT_PRESERVE,
    AST_ON_COMMIT_DELETE,
    AST_ON_COMMIT_DROP,
};

/* SHARD BY HASH (column) BUCKETS n, RANGE (column) (constants ..), LIST (column) ((constants ..) ON
 * 'node', ..), each with COLOCATE WITH another table; REPLICATED. */
enum ast_shard_kind {
    AST_SHARD_BY_HASH,
    AST_SHARD_BY_RANGE,
    AST_SHARD_BY_LIST,
    AST_SHARD_EVERYWHERE,
};

/* A bucket of a LIST: its values, and where it shall be. */
struct ast_shard_list {
    struct ast_node node;
    struct ast_list *values; /* expressions */
    const char *on_node;     /* NULL: anywhere */
};

struct ast_shard {
    struct ast_node node;
    enum ast_shard_kind kind;
    const char *column;
    int32_t buckets;            /* HASH */
    struct ast_list *entries;   /* RANGE: expressions, where buckets begin; LIST: AST_SHARD_LIST */
    struct ast_table *colocate; /* or NULL */
};

struct ast_create_table {
    struct ast_node node;
    enum ast_persistence persistence;
    bool if_not_exists;
    struct ast_table *table;
    struct ast_list *elements; /* AST_COLUMN_DEF, AST_CONSTRAINT, AST_LIKE_TABLE, in order */
    struct ast_list *inherits; /* AST_TABLE: to be refused */
    const char *partition_by;  /* "range", "list", "hash": to be refused */
    struct ast_shard *shard;   /* or NULL */
    struct ast_list *options;  /* AST_OPTION */
    enum ast_on_commit on_commit;
    const char *access_method;
    const char *tablespace;
    const struct ast_select *materialized; /* it is this query's materialized view */
    bool populated;                        /* .. and has its rows */
};

struct ast_create_table_as {
    struct ast_node node;
    enum ast_persistence persistence;
    bool if_not_exists;
    struct ast_table *table;
    struct ast_list *columns; /* AST_NAME */
    struct ast_list *options;
    enum ast_on_commit on_commit;
    struct ast_node *query; /* AST_SELECT or AST_EXECUTE */
    bool with_no_data;
    bool select_into;
    bool materialized; /* CREATE MATERIALIZED VIEW: to be refused */
};

struct ast_index_column {
    struct ast_node node;
    const char *name; /* or */
    struct ast_node *expr;
    const char *collation;
    const char *operator_class;
    enum ast_sort_order order;
    enum ast_nulls nulls;
};

struct ast_create_index {
    struct ast_node node;
    bool unique;
    bool concurrently;
    bool if_not_exists;
    bool nulls_not_distinct;
    const char *name; /* NULL: to be chosen */
    struct ast_table *table;
    const char *method;         /* NULL: btree */
    struct ast_list *columns;   /* AST_INDEX_COLUMN */
    struct ast_list *including; /* AST_INDEX_COLUMN */
    struct ast_list *options;
    const char *tablespace;
    struct ast_node *where;
};

struct ast_create_view {
    struct ast_node node;
    bool replace;
    bool recursive;
    enum ast_persistence persistence;
    struct ast_table *view;
    struct ast_list *columns; /* AST_NAME */
    struct ast_list *options;
    struct ast_select *query;
    int32_t query_start; /* byte range of the query in the text */
    int32_t query_size;
    const char *check_option; /* "local", "cascaded" */
};

struct ast_create_schema {
    struct ast_node node;
    bool if_not_exists;
    const char *name; /* NULL: named as the role */
    const char *role; /* AUTHORIZATION */
};

struct ast_create_sequence {
    struct ast_node node;
    bool if_not_exists;
    enum ast_persistence persistence;
    struct ast_table *sequence;
    struct ast_list *options; /* AST_OPTION: increment, minvalue, maxvalue, start, restart, cache,
                                 cycle (value NULL or AST_CONST_BOOL), owned_by (list), as */
};

struct ast_create_database {
    struct ast_node node;
    const char *name;
    struct ast_list *options;
};

/* Options: superuser, createdb, createrole, login, inherit, replication, bypassrls
 * (AST_CONST_BOOL), password (string or null), connection_limit, valid_until, in_role, role, admin
 * (list). */
struct ast_create_role {
    struct ast_node node;
    const char *name;
    bool user; /* CREATE USER: login is the default */
    struct ast_list *options;
};

struct ast_create_enum {
    struct ast_node node;
    const char *schema;
    const char *name;
    struct ast_list *values; /* AST_CONST strings */
};

struct ast_alter_enum {
    struct ast_node node;
    struct ast_table *type;
    const char *value;
    const char *rename_to; /* RENAME VALUE; NULL: ADD VALUE */
    bool if_not_exists;
    const char *neighbor; /* NULL: at the end */
    bool before;
};

struct ast_create_domain {
    struct ast_node node;
    struct ast_table *domain;
    struct ast_type *type;
    const char *collation;
    struct ast_list *constraints; /* AST_CONSTRAINT */
};

enum ast_object {
    AST_OBJECT_TABLE,
    AST_OBJECT_INDEX,
    AST_OBJECT_VIEW,
    AST_OBJECT_MATERIALIZED_VIEW,
    AST_OBJECT_SEQUENCE,
    AST_OBJECT_SCHEMA,
    AST_OBJECT_TYPE,
    AST_OBJECT_DOMAIN,
    AST_OBJECT_DATABASE,
    AST_OBJECT_ROLE,
    AST_OBJECT_COLUMN,
    AST_OBJECT_CONSTRAINT,
    AST_OBJECT_EXTENSION,
    AST_OBJECT_FUNCTION,
    AST_OBJECT_OTHER,
};

/* A parameter of CREATE FUNCTION, or a column of RETURNS TABLE. */
struct ast_function_param {
    struct ast_node node;
    char mode;        /* 'i' IN, 'o' OUT, 'b' INOUT, 'v' VARIADIC */
    const char *name; /* or NULL */
    struct ast_type *type;
    struct ast_node *value; /* DEFAULT, or NULL */
};

struct ast_create_function {
    struct ast_node node;
    bool replace;
    char kind;        /* 'f' FUNCTION, 'p' PROCEDURE, 'r' ROUTINE (not of CREATE) */
    bool returns_set; /* SETOF, TABLE */
    int32_t end;      /* of the statement in the text */
    struct ast_table *name;
    struct ast_list *params;  /* AST_FUNCTION_PARAM */
    struct ast_type *result;  /* NULL: RETURNS TABLE, or none said */
    struct ast_list *columns; /* RETURNS TABLE: AST_FUNCTION_PARAM */
    struct ast_list *options; /* AST_OPTION: as, language, immutable, strict ..; atomic: the text of
                                 BEGIN ATOMIC's or RETURN's body */
};

struct ast_alter_function {
    struct ast_node node;
    char kind;                          /* as of CREATE, and 'r' */
    struct ast_create_function *target; /* as of DROP */
    struct ast_list *options;           /* or one of: */
    const char *name, *owner, *schema;
    int32_t end; /* of the statement in the text */
};

struct ast_drop_function {
    struct ast_node node;
    char kind;
    bool if_exists, cascade;
    struct ast_list *names; /* AST_CREATE_FUNCTION: name and params; params NULL: not said */
};

struct ast_drop {
    struct ast_node node;
    enum ast_object object;
    bool if_exists;
    bool cascade;
    bool concurrently;
    bool force;             /* DROP DATABASE .. WITH (FORCE) */
    struct ast_list *names; /* AST_TABLE (schema, name; plain names for SCHEMA, DATABASE, ROLE) */
};

enum ast_alter_kind {
    AST_ALTER_ADD_COLUMN,     /* column */
    AST_ALTER_DROP_COLUMN,    /* name, if_exists, cascade */
    AST_ALTER_COLUMN_TYPE,    /* name, column->type, column->collation, expr (USING) */
    AST_ALTER_SET_DEFAULT,    /* name, expr with its text range */
    AST_ALTER_DROP_DEFAULT,   /* name */
    AST_ALTER_SET_NOT_NULL,   /* name */
    AST_ALTER_ADD_IDENTITY,   /* name, constraint */
    AST_ALTER_DROP_NOT_NULL,  /* name */
    AST_ALTER_ADD_CONSTRAINT, /* constraint */
    AST_ALTER_DROP_CONSTRAINT,
    AST_ALTER_VALIDATE_CONSTRAINT,
    AST_ALTER_DROP_IDENTITY, /* name: the column */
    AST_ALTER_CONSTRAINT,    /* constraint: name, deferrability */
    AST_ALTER_SET_OPTIONS,
    AST_ALTER_RESET_OPTIONS,
    AST_ALTER_OWNER,      /* name */
    AST_ALTER_SET_SCHEMA, /* name */
    AST_ALTER_SET_TABLESPACE,
    AST_ALTER_SET_LOGGED,
    AST_ALTER_SET_UNLOGGED,
    AST_ALTER_REPLICA_IDENTITY, /* name: "full", "default", "nothing", "index" */
    AST_ALTER_MOVE_BUCKETS,     /* options: bucket numbers (AST_CONST); name: to which node */
    AST_ALTER_SPLIT_BUCKET,     /* expr: the value at which a bucket of a RANGE is cut in two */
    AST_ALTER_OTHER,            /* name: what PostgreSQL calls it; to be refused */
};

struct ast_alter_action {
    struct ast_node node;
    enum ast_alter_kind kind;
    const char *name;
    bool if_exists; /* ADD COLUMN: IF NOT EXISTS */
    bool cascade;
    struct ast_column_def *column;
    struct ast_constraint *constraint;
    struct ast_node *expr;
    int32_t expr_start;
    int32_t expr_size;
    struct ast_list *options;
};

struct ast_alter_table {
    struct ast_node node;
    enum ast_object object; /* what the statement says it is: TABLE, INDEX, VIEW, SEQUENCE .. */
    bool if_exists;
    struct ast_table *table;
    struct ast_list *actions; /* AST_ALTER_ACTION */
};

/* ALTER CLUSTER ADD NODE name 'host:port' | DROP NODE name | DRAIN NODE name | REBALANCE */
enum ast_cluster_kind {
    AST_CLUSTER_ADD,
    AST_CLUSTER_DROP,
    AST_CLUSTER_DRAIN,
    AST_CLUSTER_REBALANCE,
};

struct ast_alter_cluster {
    struct ast_node node;
    enum ast_cluster_kind kind;
    const char *name;    /* NULL: REBALANCE */
    const char *address; /* ADD NODE */
};

struct ast_alter_sequence {
    struct ast_node node;
    bool if_exists;
    struct ast_table *sequence;
    struct ast_list *options;
};

struct ast_alter_role {
    struct ast_node node;
    const char *name; /* NULL: ALL; "current_user" and the like as they are */
    struct ast_list *options;
    struct ast_set *set; /* ALTER ROLE name SET/RESET .. */
    const char *database;
};

struct ast_alter_database {
    struct ast_node node;
    const char *name;
    struct ast_list *options;
    struct ast_set *set;
};

struct ast_alter_system {
    struct ast_node node;
    struct ast_set *set;
};

struct ast_rename {
    struct ast_node node;
    enum ast_object object; /* TABLE, INDEX, VIEW, SEQUENCE, SCHEMA, TYPE, DATABASE, ROLE, COLUMN,
                               CONSTRAINT */
    bool if_exists;
    struct ast_table *table; /* the object, or the table of a column or constraint */
    const char *old_name;    /* of a column or constraint */
    const char *new_name;
    bool materialized; /* a column's: ALTER MATERIALIZED VIEW */
};

/* REFRESH MATERIALIZED VIEW */
struct ast_refresh {
    struct ast_node node;
    struct ast_table *view;
    bool concurrently, with_no_data;
};

struct ast_truncate {
    struct ast_node node;
    struct ast_list *tables; /* AST_TABLE */
    bool restart_identity;
    bool cascade;
};

/* ---- transactions and settings --------------------------------------------------------------- */

enum ast_isolation {
    AST_ISOLATION_NONE, /* not said */
    AST_ISOLATION_READ_UNCOMMITTED,
    AST_ISOLATION_READ_COMMITTED,
    AST_ISOLATION_REPEATABLE_READ,
    AST_ISOLATION_SERIALIZABLE,
};

struct ast_transaction_modes {
    enum ast_isolation isolation;
    int8_t read_only; /* 1, 0, or -1: not said */
    int8_t deferrable;
};

enum ast_transaction_kind {
    AST_BEGIN, /* also START TRANSACTION: start is true */
    AST_COMMIT,
    AST_ROLLBACK,
    AST_SAVEPOINT,
    AST_RELEASE,
    AST_ROLLBACK_TO,
    AST_PREPARE_TRANSACTION,
    AST_COMMIT_PREPARED,
    AST_ROLLBACK_PREPARED,
};

struct ast_transaction {
    struct ast_node node;
    enum ast_transaction_kind kind;
    bool start;
    bool chain;       /* AND CHAIN */
    const char *name; /* savepoint or prepared transaction */
    struct ast_transaction_modes modes;
};

enum ast_set_kind {
    AST_SET_VALUE,
    AST_SET_DEFAULT, /* SET x TO DEFAULT */
    AST_SET_FROM_CURRENT,
    AST_SET_RESET,
    AST_SET_RESET_ALL,
};

/* SET TIME ZONE is "timezone" (LOCAL and DEFAULT are AST_SET_DEFAULT), SET NAMES "client_encoding",
 * SET ROLE "role", SET SESSION AUTHORIZATION "session_authorization", SET SCHEMA "search_path".
 * Dotted names are joined: "myapp.user". */
struct ast_set {
    struct ast_node node;
    enum ast_set_kind kind;
    bool local;
    const char *name;
    struct ast_list *values; /* AST_CONST (words arrive as strings); an interval is an AST_CAST */
};

struct ast_set_transaction {
    struct ast_node node;
    bool session; /* SET SESSION CHARACTERISTICS AS TRANSACTION */
    bool local;
    struct ast_transaction_modes modes;
    const char *snapshot; /* SET TRANSACTION SNAPSHOT */
};

struct ast_show {
    struct ast_node node;
    const char *name; /* "all": SHOW ALL; "transaction_isolation" for its long form too */
};

struct ast_set_constraints {
    struct ast_node node;
    struct ast_list *names; /* AST_TABLE; NULL: ALL */
    bool deferred;
};

enum ast_discard {
    AST_DISCARD_ALL,
    AST_DISCARD_PLANS,
    AST_DISCARD_SEQUENCES,
    AST_DISCARD_TEMP,
};

struct ast_discard_statement {
    struct ast_node node;
    enum ast_discard what;
};

/* ---- other statements ------------------------------------------------------------------------ */

/* Both option syntaxes give options named as in the new one: format, freeze, delimiter, null,
 * header, quote, escape, force_quote, force_not_null, force_null, encoding. */
struct ast_copy {
    struct ast_node node;
    struct ast_table *table; /* or */
    struct ast_node *query;
    struct ast_list *columns; /* AST_NAME */
    bool from;
    bool program;
    const char *file; /* NULL: STDIN or STDOUT */
    struct ast_list *options;
    struct ast_node *where;
};

struct ast_explain {
    struct ast_node node;
    struct ast_list *options; /* ANALYZE and VERBOSE of the old form arrive as options too */
    struct ast_node *statement;
};

struct ast_prepare {
    struct ast_node node;
    const char *name;
    struct ast_list *types; /* AST_TYPE */
    struct ast_node *statement;
    int32_t statement_start; /* byte range of the statement in the text */
    int32_t statement_size;
};

struct ast_execute {
    struct ast_node node;
    const char *name;
    struct ast_list *args;
};

struct ast_deallocate {
    struct ast_node node;
    const char *name; /* NULL: ALL */
};

struct ast_declare_cursor {
    struct ast_node node;
    const char *name;
    bool binary;
    int8_t scroll;      /* 1 SCROLL, 0 NO SCROLL, -1 not said */
    int8_t insensitive; /* 1 INSENSITIVE, 0 ASENSITIVE, -1 not said */
    bool hold;
    struct ast_select *query;
    int32_t query_start;
    int32_t query_size;
};

enum ast_fetch_direction {
    AST_FETCH_FORWARD, /* count rows on (NEXT is 1, ALL is INT64_MAX) */
    AST_FETCH_BACKWARD,
    AST_FETCH_ABSOLUTE,
    AST_FETCH_RELATIVE,
};

struct ast_fetch {
    struct ast_node node;
    bool move;
    enum ast_fetch_direction direction;
    int64_t count;
    const char *name;
};

struct ast_close_cursor {
    struct ast_node node;
    const char *name; /* NULL: ALL */
};

struct ast_lock {
    struct ast_node node;
    struct ast_list *tables;
    uint32_t mode; /* 1 ACCESS SHARE .. 8 ACCESS EXCLUSIVE, as PostgreSQL numbers them */
    bool nowait;
};

struct ast_vacuum {
    struct ast_node node;
    bool vacuum; /* else ANALYZE alone */
    struct ast_list *options;
    struct ast_list *tables; /* AST_TABLE; columns in their `columns`; NULL: all */
};

struct ast_reindex {
    struct ast_node node;
    const char *what; /* "index", "table", "schema", "database", "system" */
    struct ast_table *name;
    bool concurrently;
    struct ast_list *options;
};

struct ast_cluster {
    struct ast_node node;
    struct ast_table *table;
    const char *index;
};

struct ast_checkpoint {
    struct ast_node node;
};

struct ast_comment {
    struct ast_node node;
    enum ast_object object;
    struct ast_table *name; /* the object; for COLUMN the table, with the column in `part` */
    const char *part;
    const struct ast_create_function *routine; /* FUNCTION */
    const char *text;                          /* NULL: IS NULL */
};

struct ast_grant {
    struct ast_node node;
    bool revoke;
    bool role;                   /* GRANT role TO role: privileges name roles */
    struct ast_list *privileges; /* AST_NAME, lower case; NULL: ALL */
    enum ast_object object;
    bool all_in_schema;
    struct ast_list *objects;  /* AST_TABLE */
    struct ast_list *grantees; /* AST_NAME; "public" */
    bool grant_option;
    bool cascade;
};

/* ALTER DEFAULT PRIVILEGES [FOR ROLE ..] [IN SCHEMA ..] and the rest, whose grant has no objects.
 */
struct ast_alter_default {
    struct ast_node node;
    struct ast_list *roles, *schemas; /* AST_NAME; NULL: the user's own; all */
    struct ast_grant *grant;
};

/* DROP OWNED BY, REASSIGN OWNED BY .. TO */
struct ast_owned {
    struct ast_node node;
    struct ast_list *roles; /* AST_NAME */
    const char *to;         /* NULL: DROP */
    bool cascade;
};

/* CREATE SAGA name (param type, ..) [TIMEOUT '..'] steps */
struct ast_create_saga {
    struct ast_node node;
    const char *name;
    struct ast_list *params; /* AST_SAGA_PARAM */
    struct ast_list *steps;  /* AST_SAGA_STEP */
    const char *timeout;     /* NULL: none */
};

struct ast_saga_param {
    struct ast_node node;
    const char *name;
    struct ast_type *type;
};

/* STEP name ON table (keys) DO '..' and, in any order: UNDO '..' | UNDO AUTO, RETRY n [BACKOFF '..'
 * [TO '..']], TIMEOUT '..', EXPECT ROWS, PIVOT, RETRIABLE */
struct ast_saga_step {
    struct ast_node node;
    const char *name;
    struct ast_table *table;
    struct ast_list *keys; /* expressions, or AST_NAMED_ARG */
    int32_t keys_start, keys_size;
    const char *doing;
    const char *undoing; /* NULL: none */
    bool undo_auto, pivot, retriable, expect_rows;
    int32_t retry;                              /* -1: the default */
    const char *backoff, *backoff_to, *timeout; /* NULL: the default */
};

struct ast_drop_saga {
    struct ast_node node;
    bool if_exists;
    const char *name;
};

/* START SAGA name (args) [WITH KEY '..'] [WAIT] */
struct ast_start_saga {
    struct ast_node node;
    const char *name;
    struct ast_list *args; /* expressions */
    const char *key;       /* NULL: none */
    bool wait;
};

/* ALTER SAGA INSTANCE n .. */
struct ast_alter_saga {
    struct ast_node node;
    int64_t number;
    enum ast_saga_action {
        AST_SAGA_RETRY,
        AST_SAGA_COMPENSATE,
        AST_SAGA_SKIP,
        AST_SAGA_PAUSE,
        AST_SAGA_RESUME,
    } action;
    const char *step; /* AST_SAGA_SKIP */
};

struct ast_notify {
    struct ast_node node;
    enum ast_notify_kind {
        AST_NOTIFY_NOTIFY,
        AST_NOTIFY_LISTEN,
        AST_NOTIFY_UNLISTEN, /* channel NULL: * */
    } kind;
    const char *channel;
    const char *payload;
};

struct ast_do {
    struct ast_node node;
    const char *language;
    const char *body;
};

struct ast_call_statement {
    struct ast_node node;
    struct ast_call *call;
};

/* Raise ERR_FEATURE_NOT_SUPPORTED: "CREATE FUNCTION is not supported". Nothing after the name was
 * looked at. */
struct ast_unsupported {
    struct ast_node node;
    const char *what;
};

/* One of the statements of a text. The bytes from start to start + size are it, without blanks and
 * comments around it and without its semicolon. Locations inside count from the beginning of the
 * whole text, not from start. */
struct ast_statement {
    struct ast_node node;
    struct ast_node *body;
    int32_t start;
    int32_t size;
    uint32_t param_max; /* the largest $n, 0: none */
};

/* ---- from a node to its struct --------------------------------------------------------------- */

/* clang-format off */
#define AST_STRUCTS(X)                       \
    X(const, AST_CONST)                      \
    X(param, AST_PARAM)                      \
    X(column, AST_COLUMN)                    \
    X(op, AST_OP)                            \
    X(bool, AST_BOOL)                        \
    X(call, AST_CALL)                        \
    X(case, AST_CASE)                        \
    X(when, AST_WHEN)                        \
    X(list_call, AST_LIST_CALL)              \
    X(in, AST_IN)                            \
    X(any, AST_ANY)                          \
    X(exists, AST_EXISTS)                    \
    X(subquery, AST_SUBQUERY)                \
    X(between, AST_BETWEEN)                  \
    X(like, AST_LIKE)                        \
    X(is, AST_IS)                            \
    X(distinct_from, AST_DISTINCT_FROM)      \
    X(cast, AST_CAST)                        \
    X(row, AST_ROW)                          \
    X(array, AST_ARRAY)                      \
    X(collate, AST_COLLATE)                  \
    X(subscript, AST_SUBSCRIPT)              \
    X(field, AST_FIELD)                      \
    X(sql_value, AST_SQL_VALUE)              \
    X(default, AST_DEFAULT)                  \
    X(named_arg, AST_NAMED_ARG)              \
    X(grouping, AST_GROUPING)                \
    X(name, AST_NAME)                        \
    X(type, AST_TYPE)                        \
    X(target, AST_TARGET)                    \
    X(sort, AST_SORT)                        \
    X(window, AST_WINDOW)                    \
    X(cte, AST_CTE)                          \
    X(locking, AST_LOCKING)                  \
    X(table, AST_TABLE)                      \
    X(range_subquery, AST_RANGE_SUBQUERY)    \
    X(range_function, AST_RANGE_FUNCTION)    \
    X(join, AST_JOIN)                        \
    X(column_def, AST_COLUMN_DEF)            \
    X(constraint, AST_CONSTRAINT)            \
    X(like_table, AST_LIKE_TABLE)            \
    X(shard, AST_SHARD)                      \
    X(shard_list, AST_SHARD_LIST)            \
    X(option, AST_OPTION)                    \
    X(index_column, AST_INDEX_COLUMN)        \
    X(alter_action, AST_ALTER_ACTION)        \
    X(conflict, AST_CONFLICT)                \
    X(statement, AST_STATEMENT)              \
    X(select, AST_SELECT)                    \
    X(insert, AST_INSERT)                    \
    X(update, AST_UPDATE)                    \
    X(delete, AST_DELETE)                    \
    X(create_table, AST_CREATE_TABLE)        \
    X(create_table_as, AST_CREATE_TABLE_AS)  \
    X(create_index, AST_CREATE_INDEX)        \
    X(create_view, AST_CREATE_VIEW)          \
    X(create_schema, AST_CREATE_SCHEMA)      \
    X(create_sequence, AST_CREATE_SEQUENCE)  \
    X(create_database, AST_CREATE_DATABASE)  \
    X(create_role, AST_CREATE_ROLE)          \
    X(create_enum, AST_CREATE_ENUM)          \
    X(alter_enum, AST_ALTER_ENUM)            \
    X(create_domain, AST_CREATE_DOMAIN)      \
    X(drop, AST_DROP)                        \
    X(alter_table, AST_ALTER_TABLE)          \
    X(alter_sequence, AST_ALTER_SEQUENCE)    \
    X(alter_cluster, AST_ALTER_CLUSTER)      \
    X(alter_role, AST_ALTER_ROLE)            \
    X(alter_database, AST_ALTER_DATABASE)    \
    X(alter_system, AST_ALTER_SYSTEM)        \
    X(rename, AST_RENAME)                    \
    X(truncate, AST_TRUNCATE)                \
    X(transaction, AST_TRANSACTION)          \
    X(set, AST_SET)                          \
    X(set_transaction, AST_SET_TRANSACTION)  \
    X(show, AST_SHOW)                        \
    X(discard_statement, AST_DISCARD)        \
    X(copy, AST_COPY)                        \
    X(explain, AST_EXPLAIN)                  \
    X(prepare, AST_PREPARE)                  \
    X(execute, AST_EXECUTE)                  \
    X(deallocate, AST_DEALLOCATE)            \
    X(declare_cursor, AST_DECLARE_CURSOR)    \
    X(fetch, AST_FETCH)                      \
    X(close_cursor, AST_CLOSE_CURSOR)        \
    X(lock, AST_LOCK)                        \
    X(vacuum, AST_VACUUM)                    \
    X(reindex, AST_REINDEX)                  \
    X(refresh, AST_REFRESH)                  \
    X(owned, AST_OWNED)                      \
    X(alter_default, AST_ALTER_DEFAULT)      \
    X(cluster, AST_CLUSTER)                  \
    X(checkpoint, AST_CHECKPOINT)            \
    X(comment, AST_COMMENT)                  \
    X(grant, AST_GRANT)                      \
    X(notify, AST_NOTIFY)                    \
    X(create_saga, AST_CREATE_SAGA)      \
    X(drop_saga, AST_DROP_SAGA)          \
    X(start_saga, AST_START_SAGA)        \
    X(alter_saga, AST_ALTER_SAGA)        \
    X(saga_param, AST_SAGA_PARAM)        \
    X(saga_step, AST_SAGA_STEP)          \
    X(do, AST_DO)                            \
    X(create_function, AST_CREATE_FUNCTION)  \
    X(drop_function, AST_DROP_FUNCTION)      \
    X(alter_function, AST_ALTER_FUNCTION)    \
    X(function_param, AST_FUNCTION_PARAM)    \
    X(call_statement, AST_CALL_STATEMENT)    \
    X(set_constraints, AST_SET_CONSTRAINTS)  \
    X(unsupported, AST_UNSUPPORTED)
/* clang-format on */

/* ast_as_select(node) is the struct ast_select of a node of kind AST_SELECT, and so on. */
#define AST_DEFINE_AS(type, kind_of)                                                  \
    static inline const struct ast_##type *ast_as_##type(const struct ast_node *node) \
    {                                                                                 \
        ASSERT(node->kind == kind_of);                                                \
        return (const struct ast_##type *)(const void *)node;                         \
    }
AST_STRUCTS(AST_DEFINE_AS)
#undef AST_DEFINE_AS

#endif /* PARSER_AST_H */
