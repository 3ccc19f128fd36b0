/*
 * sql/bind/bind.h - from the syntax tree to a query whose every name and type is known.
 *
 * Binding gives each column of each relation, each computed target and each aggregate result a
 * register of its own (plan.h), resolves types as PostgreSQL's chapter 10 says, and leaves a struct
 * query: the meaning of a SELECT without any decision on how to run it. sql/plan decides.
 *
 * Invariants
 *   B1. Registers are given in ascending order, and a subquery is bound whole before its parent
 * goes on: so all registers of a query lie in [first_reg, end_reg), and which relation of a query a
 *       register belongs to is a comparison of ranges.
 *   B2. An expression is never changed once another one points to it; so expressions may be shared
 *       (BETWEEN's operand, the columns of a pulled-up subquery).
 *   B3. Every EXPR_CALL is a struct call_expr, every EXPR_SUBPLAN's subplan a struct bound_subplan.
 *   B4. After bind_query no expression has TYPE_UNKNOWN, no parameter lacks a type.
 */
#ifndef SQL_BIND_BIND_H
#define SQL_BIND_BIND_H

#include "parser/ast.h"
#include "sql/catalog/catalog.h"
#include "sql/plan/plan.h"
#include "sql/plan/routine.h"
#include "sql/value/value.h"

/* ---- growing arrays in the plan's arena ------------------------------------------------------ */

struct vec {
    void **items;
    uint32_t count, capacity;
};

struct expr_vec {
    struct expr **items;
    uint32_t count, capacity;
};

void expr_vec_add(struct arena *arena, struct expr_vec *vec, struct expr *expr);
void vec_add(struct arena *arena, struct vec *vec, void *item);

/* ---- bound expressions ----------------------------------------------------------------------- */

struct call_expr {
    struct expr expr;
    const struct operator_def *op; /* written as this operator, or NULL */
    bool cast;                     /* a cast's function; implicit ones are not shown by EXPLAIN */
};

struct query;

struct bound_subplan {
    struct subplan subplan; /* root is NULL until sql/plan makes it */
    struct query *query;
    uint32_t column;               /* of the query, that is the result */
    const struct operator_def *op; /* ANY, ALL */
};

/* ---- bound queries --------------------------------------------------------------------------- */

enum rel_kind {
    REL_TABLE,
    REL_VIRTUAL,
    REL_QUERY,
    REL_FUNCTION,
    REL_SHARED, /* a WITH query that runs once */
};

/* A WITH query that runs once. */
struct shared {
    const char *name;
    struct query *query;   /* recursive: what it begins with */
    struct modify *modify; /* or this */
    bool recursive, all;
    struct query *step;
    struct expr **left_exprs, **right_exprs; /* recursive: of one type */
    reg_t base;                              /* recursive: its columns */
    struct target *columns;                  /* names and types */
    uint32_t column_count;
    struct plan_shared *planned;
};

struct rel {
    enum rel_kind kind;
    const char *alias;
    reg_t base;            /* its registers are base .. base + reg_count */
    uint32_t reg_count;    /* QUERY: all registers of the query (B1) */
    uint32_t column_count; /* TABLE, VIRTUAL */
    const struct relation *relation;
    struct expr **derived; /* TABLE: access.c binds them when they are asked for */
    bool *used;            /* TABLE, VIRTUAL: columns some expression reads; no more than a guess */
    bool identity;
    struct query *query;
    struct plan_call *calls; /* FUNCTION */
    uint32_t call_count;
    struct expr **args; /* of all calls */
    uint32_t arg_count;
    bool ordinality;
    struct shared *shared;
    bool work;                     /* SHARED: the last rows of a recursive query */
    bool modify;                   /* the table an UPDATE or DELETE changes */
    struct plan_relation *planned; /* set when its scan is made */
};

enum tree_kind {
    TREE_REL,
    TREE_JOIN,
    TREE_LIST, /* items joined inner; conds hold all conditions on them */
};

struct join_tree {
    enum tree_kind kind;
    struct rel *rel;
    enum join_kind join;
    struct join_tree *left, *right;
    struct vec items; /* struct join_tree * */
    struct expr_vec conds;
};

struct target {
    struct expr *expr;
    const char *name;
    bool junk;
    reg_t reg;    /* where the value is after the query's node */
    bool plain;   /* expr is just register reg */
    bool set;     /* contains a set-returning function's register */
    bool shipped; /* others compute it (sql/plan/ship.c) */
    oid_t table;  /* of a plain column */
    int16_t attnum;
};

struct query_sort {
    uint32_t target;
    bool descending;
    bool nulls_first;
};

struct group_item {
    struct expr *expr;  /* over the rows */
    struct expr *shown; /* with grouping sets: null in those that it is not of; else NULL */
    reg_t reg;
};

struct grouping_call { /* GROUPING(..) */
    struct expr **args;
    uint32_t count;
    reg_t reg;
    int32_t location;
};

struct lock_item {
    struct rel *rel;
    enum txn_row_lock mode;
    enum txn_wait wait;
};

/* A window, and the calls over it. */
struct window_order {
    struct expr *expr;
    bool descending, nulls_first;
};

struct window_call {
    enum window_function kind;
    const struct function *function;
    struct expr **args;
    uint32_t arg_count;
    struct expr *filter; /* or NULL */
    reg_t result;
    oid_t type;
};

struct window {
    const char *name; /* of WINDOW, or NULL */
    struct expr **partition;
    uint32_t partition_count;
    struct window_order *order;
    uint32_t order_count;
    bool framed;
    struct plan_frame frame;
    struct expr *range_key; /* RANGE with an offset */
    struct vec calls;       /* struct window_call * */
};

enum query_kind {
    QUERY_SELECT,
    QUERY_VALUES,
    QUERY_SET,
};

struct query {
    enum query_kind kind;
    reg_t first_reg, end_reg;
    bool correlated; /* reads registers of queries around it */
    bool has_aggregates;
    bool has_subplans;
    struct join_tree *from; /* a TREE_LIST, WHERE's conjuncts in its conds; NULL: no FROM */
    struct expr_vec where;  /* conjuncts when there is no FROM */
    struct vec rels;        /* struct rel *, of this level */
    struct target *targets;
    uint32_t target_count, target_capacity;
    uint32_t column_count; /* targets that are not junk come first */
    reg_t target_base;     /* target_count registers, for those that are not plain */
    struct group_item *groups;
    uint32_t group_count, group_capacity;
    struct vec aggregates; /* struct plan_aggregate * */
    struct vec groupings;  /* struct grouping_call * */
    uint64_t *sets;        /* grouping sets: bit i is groups[i]; NULL: one set of all */
    uint32_t set_count;
    reg_t set_reg;      /* the number of the set that a row is grouped by */
    struct vec windows; /* struct window * */
    bool has_windows;   /* some have calls */
    struct expr *having;
    struct rel *set_function; /* in the targets */
    bool distinct;
    uint32_t *distinct_on; /* target indexes */
    uint32_t distinct_on_count;
    struct query_sort *order;
    uint32_t order_count;
    struct expr *limit, *offset;
    bool with_ties;
    struct lock_item *locks;
    uint32_t lock_count;
    /* SET */
    enum plan_set_kind set_kind;
    bool set_all;
    struct query *left, *right;
    struct expr **left_exprs, **right_exprs; /* coerced columns */
    /* VALUES: rows * column_count, the same registers as the targets */
    struct expr **values;
    uint32_t row_count;
};

/* An INSERT, UPDATE or DELETE. */
struct modify {
    enum plan_statement statement;
    const struct relation *relation;
    struct rel *target;    /* UPDATE, DELETE */
    struct query *source;  /* INSERT: rows; UPDATE, DELETE: FROM and WHERE, no targets; or NULL */
    struct expr **columns; /* the new row */
    reg_t new_base;
    uint16_t *changed;
    uint32_t changed_count;
    struct plan_target *generated; /* over the new row, into it */
    uint32_t generated_count;
    struct expr **derived; /* of the relation, over registers 0.. */
    struct expr **checks;
    const char **check_names;
    uint32_t check_count;
    struct target *returning;
    uint32_t returning_count;
    bool *arbiters;             /* INSERT .. ON CONFLICT: per index of the relation; NULL: none */
    bool any_conflict;          /* it named no index */
    struct modify *update;      /* DO UPDATE; its target is the row in the way */
    struct expr_vec filter;     /* of that update: WHERE */
    uint32_t table_check_count; /* the checks behind them are check options of views */
    const struct view_target *view; /* the statement names a view; relation is its table */
};

/* ---- names ----------------------------------------------------------------------------------- */

struct merged_column {
    const char *name;
    struct expr *expr;
};

/* What names a FROM clause offers. A join without alias offers its sides' names. */
struct from_item {
    bool join;
    const char *alias;
    const char *schema;              /* of a table without alias: s.t.c names its column */
    const struct relation *relation; /* a table; then register base + c is column c */
    const struct relation *view;     /* whose columns the exprs are */
    reg_t base;
    struct rel *rel;
    uint32_t column_count;
    const char *const *names;  /* column aliases, or NULL: the relation's */
    struct expr *const *exprs; /* NULL: registers of the relation */
    struct from_item *left, *right;
    struct merged_column *merged; /* USING, NATURAL */
    uint32_t merged_count;
};

enum clause { /* for errors: "aggregate functions are not allowed in WHERE" */
    CLAUSE_NONE,
    CLAUSE_TARGETS,
    CLAUSE_WHERE,
    CLAUSE_HAVING,
    CLAUSE_GROUP,
    CLAUSE_ORDER,
    CLAUSE_DISTINCT_ON,
    CLAUSE_LIMIT,
    CLAUSE_OFFSET,
    CLAUSE_ON,
    CLAUSE_FROM_FUNCTION,
    CLAUSE_VALUES,
    CLAUSE_UPDATE,
    CLAUSE_RETURNING,
    CLAUSE_FILTER,
    CLAUSE_CHECK,
    CLAUSE_DEFAULT,
    CLAUSE_WINDOW,
    CLAUSE_GENERATED,
    CLAUSE_COPY,
    CLAUSE_INDEX,
    CLAUSE_INDEX_PREDICATE,
};

enum cte_state {
    CTE_NEW,
    CTE_ANCHOR, /* being bound */
    CTE_STEP,   /* its recursive term is being bound */
    CTE_BOUND,
};

struct cte {
    const char *name;
    const struct ast_cte *ast;
    struct scope *scope; /* where its query is bound */
    struct cte *next;    /* that stand before it */
    struct cte *visible; /* RECURSIVE: all; else those before it */
    bool recursive;
    enum cte_state state;
    uint32_t references;   /* in the text, as far as known */
    uint32_t met;          /* references to itself in its recursive term */
    struct shared *shared; /* NULL: bound at each reference */
};

struct scope {
    struct scope *parent;
    struct query *query;
    struct vec items;  /* struct from_item *, visible */
    struct vec hidden; /* bound, but not to be seen from here: better words in errors */
    struct cte *ctes;
    enum clause clause;
    bool in_aggregate;
    bool in_window;
};

/* What was found out about the places of a text: how a view's definition is kept (view.c). */
enum note_kind {
    NOTE_COLUMN,  /* a column reference, or one column of a star: alias, column, relation */
    NOTE_TABLE,   /* a table or view by name */
    NOTE_LITERAL, /* an untyped literal became this type */
    NOTE_OPERAND, /* an operand was cast to this type */
    NOTE_TYPE,    /* this user's type was named */
};

struct bind_note {
    enum note_kind kind;
    int32_t location;
    oid_t type;
    const char *alias; /* NULL: the name alone says it */
    const char *column;
    const struct relation *relation; /* or view, or NULL */
    uint32_t number;                 /* its column, from 0 */
};

struct bind_notes {
    struct bind_note *items;
    uint32_t count, capacity;
};

/* The call of a function in SQL whose body is being bound: what stands for its parameters. */
struct bind_frame {
    const struct bind_frame *parent; /* of the call around it */
    oid_t oid;
    const char *routine;
    const char **names; /* NULL: it has none */
    struct expr **args;
    uint32_t count, depth;
};

struct binder {
    struct task *task;
    struct plan_context *context;
    struct arena *arena;
    struct diag *diag;
    reg_t next_reg;
    uint32_t depth;
    uint32_t view_depth;
    uint32_t rel_total;
    const char *text; /* NULL: expressions' locations are not the client's text's */
    size_t text_size;
    struct plan_table_lock *locks;
    uint32_t lock_count, lock_capacity;
    bool writes;
    bool advisory;            /* some function is FUNCTION_ADVISORY */
    struct scope *outer;      /* of a data-modifying WITH query: what is around it */
    struct vec modifying;     /* struct shared * */
    struct bind_notes *notes; /* NULL: nobody asks */
    oid_t role;       /* in whose name: of a view's query its owner; 0: the session's user */
    struct vec needs; /* access.c */
    struct bind_frame *frame;           /* function.c; NULL: the statement's own parameters */
    struct vec routines;                /* function.c: struct routine * */
    const char *result_name;            /* of the last call's OUT parameter, if it has one */
    const struct ast_call *called;      /* by CALL */
    const struct ast_list *column_defs; /* of the function of FROM that is being bound; or NULL */
    struct vec pins;                    /* imply.c: struct plan_pin * */
};

/* ---- what the files offer each other, and sql/plan --------------------------------------------
 */

void bind_start(struct binder *binder, struct task *task, struct plan_context *context);
enum err bind_select(struct binder *binder, struct scope *parent, const struct ast_select *select,
    struct query **query);
enum err bind_insert(
    struct binder *binder, const struct ast_insert *insert, struct modify **modify);
enum err bind_update(
    struct binder *binder, const struct ast_update *update, struct modify **modify);
enum err bind_delete(
    struct binder *binder, const struct ast_delete *delete, struct modify **modify);
/* conflict.c: ON CONFLICT of an INSERT whose new row is bound. `scope` is that of its RETURNING;
 * modify.c: SET. */
enum err bind_conflict(struct binder *binder, struct scope *scope, const struct ast_table *table,
    const struct ast_conflict *conflict, struct modify *modify);
enum err bind_set_list(
    struct binder *binder, struct scope *scope, const struct ast_list *set, struct modify *modify);
enum err bind_checks(struct binder *binder, struct modify *modify);
void bind_note(struct binder *binder, const struct bind_note *note);
const struct bind_note *bind_note_find(
    const struct bind_notes *notes, enum note_kind kind, int32_t location, uint32_t skip);
void bind_note_operand(struct binder *binder, const struct expr *operand, oid_t type);
/* Parameters nobody gave a type: 42P18. */
enum err bind_finish_params(struct binder *binder);

/* room.c: small things */
struct expr *expr_new(
    struct binder *binder, enum expr_kind kind, oid_t type, int32_t typmod, int32_t location);
struct expr *expr_const(struct binder *binder, oid_t type, struct datum value, int32_t location);
struct expr *expr_bool(struct binder *binder, bool value, int32_t location);
struct expr *expr_register(
    struct binder *binder, reg_t reg, oid_t type, int32_t typmod, int32_t location);
struct expr *expr_list(struct binder *binder, enum expr_kind kind, oid_t type, int32_t location,
    struct expr **list, uint32_t count);
struct expr *expr_call(struct binder *binder, const struct function *function,
    const struct operator_def *op, struct expr **list, uint32_t count, int32_t location);
struct expr *expr_relabel(struct binder *binder, struct expr *expr, oid_t type);
struct expr *expr_not(struct binder *binder, struct expr *expr);
const struct operator_def *expr_operator(const struct expr *expr);
bool expr_is_null_const(const struct expr *expr);
/* A call of an immutable function on constants becomes its value; an error stays for run time. */
struct expr *expr_fold(struct binder *binder, struct expr *expr);
bool expr_equal(const struct expr *a, const struct expr *b);
bool expr_volatile(const struct expr *expr);
bool expr_has_subplan(const struct expr *expr);
/* Conjuncts of an AND tree, constants TRUE left out. */
void expr_conjuncts(struct arena *arena, struct expr *expr, struct expr_vec *to);

/* Calls visit for each direct child; subplans' queries are not entered. */
enum err expr_children(
    struct expr *expr, enum err (*visit)(void *arg, struct expr *child), void *arg);
void query_reads(const struct query *query, void (*read)(void *arg, reg_t reg), void *arg);
/* The relation of this query level a register belongs to, or NULL. */
struct rel *query_rel(const struct query *query, reg_t reg);

enum err bind_error(struct binder *binder, int32_t location, enum err code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void bind_locate(struct binder *binder, int32_t location); /* position of the error just set */
enum err bind_unsupported(struct binder *binder, int32_t location, const char *what);
enum err bind_check_stack(struct binder *binder);
const char *bind_type_name(struct binder *binder, oid_t type);
reg_t bind_registers(struct binder *binder, uint32_t count);
void bind_lock(struct binder *binder, const struct relation *relation, enum txn_table_lock mode);

/* resolve.c: types */
bool type_can_coerce(oid_t from, oid_t to, enum cast_context context);
/* *done false (ERR_OK): there is no such cast; the caller has the words. */
enum err bind_coerce(struct binder *binder, struct expr **expr, oid_t type, int32_t typmod,
    enum cast_context context, bool *done);
/* With the words of an explicit cast. */
enum err bind_cast(
    struct binder *binder, struct expr **expr, oid_t type, int32_t typmod, int32_t location);
/* For a column of a row to be stored. */
enum err bind_assign(struct binder *binder, struct expr **expr, const struct column *column);
/* A DEFAULT's (relation NULL), generated column's or CHECK's value to its type; 0: its own. */
enum err bind_definition(struct binder *binder, struct expr **expr, const struct relation *relation,
    oid_t type, int32_t typmod);
enum err bind_to_boolean(struct binder *binder, struct expr **expr, const char *where);
enum err bind_to_bigint(struct binder *binder, struct expr **expr, const char *where);
/* An unknown that nobody typed becomes text. */
enum err bind_to_text_if_unknown(struct binder *binder, struct expr **expr);
enum err bind_operator(struct binder *binder, const char *name, struct expr *left,
    struct expr *right, int32_t location, struct expr **result);
enum err bind_function(struct binder *binder, const char *name, struct expr **args, uint32_t count,
    int32_t location, const struct function **function);
/* 42883: no function of this name takes these arguments. */
enum err bind_no_function(struct binder *binder, const char *name, struct expr *const *args,
    uint32_t count, int32_t location);
/* `what` for the error: "CASE", "UNION"; NULL: *type is 0 instead of an error. */
enum err bind_common_type(
    struct binder *binder, struct expr **list, uint32_t count, const char *what, oid_t *type);
/* The same over types; `at` gives error locations and may be NULL. */
/* One column of a subquery that gives one row at the most. */
struct expr *bind_subquery_column(
    struct binder *binder, struct query *query, uint32_t column, int32_t location);
enum err bind_coerce_list(
    struct binder *binder, struct expr **list, uint32_t count, oid_t type, const char *what);
enum err bind_type(struct binder *binder, const struct ast_type *ast, oid_t *type, int32_t *typmod);

/* array.c */
/* A call of an internal function, there being one of the name, whose result is of this type. */
struct expr *bind_internal_call(struct binder *binder, const char *name, struct expr **args,
    uint32_t count, oid_t type, int32_t location);
bool array_can_coerce(oid_t from, oid_t to, enum cast_context context);
/* Given that they can. */
void bind_array_coerce(
    struct binder *binder, struct expr **expr, oid_t type, enum cast_context context);
/* What anyelement stands for, by the arguments' types. */
enum err bind_element_type(struct binder *binder, const oid_t *declared, struct expr *const *args,
    uint32_t count, oid_t *element);
/* If the function is over anyarray or anyelement: one with the real types instead. */
enum err bind_polymorphic(struct binder *binder, const struct function **function,
    struct expr ***args, uint32_t *count, int32_t location);
/* left || right; *done false: neither is an array. */
enum err bind_array_concat(struct binder *binder, struct expr *left, struct expr *right,
    int32_t location, bool *done, struct expr **result);
/* ARRAY[..]; element 0: the common type of the items. */
enum err bind_array(struct binder *binder, struct scope *scope, const struct ast_array *node,
    oid_t element, int32_t typmod, struct expr **expr);
/* The same of items that are bound, of the element type of `array`. */
enum err bind_array_of(struct binder *binder, struct expr *const *items, uint32_t count,
    oid_t array, struct expr **expr);
enum err bind_array_subquery(struct binder *binder, struct scope *scope,
    const struct ast_subquery *node, struct expr **expr);
enum err bind_subscript(struct binder *binder, struct scope *scope,
    const struct ast_subscript *node, struct expr **expr);

/* array_part.c */
enum {
    SUBSCRIPTS_MAX = 6,
};

struct subscripts {
    uint32_t count;
    const struct ast_subscript *of[SUBSCRIPTS_MAX]; /* the first one first */
};

enum err bind_array_index(
    struct binder *binder, struct scope *scope, const struct ast_node *node, struct expr **expr);
/* A step into a jsonb value: text; numbers as text are indexes again. */
enum err bind_jsonb_step(
    struct binder *binder, struct scope *scope, const struct ast_node *node, struct expr **expr);
enum err bind_array_slice(struct binder *binder, struct scope *scope, struct expr *array,
    const struct subscripts *subscripts, int32_t location, struct expr **expr);
/* SET column[..] = value: the column's whole new value, made of `old`, an expression of its type.
 */
enum err bind_part_assign(struct binder *binder, struct scope *scope, const struct column *column,
    struct expr *old, const struct ast_target *target, struct expr *value, struct expr **expr);
enum err bind_any_of_array(struct binder *binder, struct expr *left, struct expr *array,
    const struct ast_any *node, struct expr **expr);

/* updatable.c: a view as the target of a statement. */
struct view_layer;
struct view_target {
    const char *verb; /* "insert into", "update", "delete from" */
    const struct relation *view, *table;
    struct view_layer *layer;
    int32_t *columns; /* of the table, for each of the view's; -1: it is none */
};
/* 55000 if it cannot be changed through. */
enum err bind_view_target(struct binder *binder, const struct relation *view, const char *verb,
    struct view_target **target);
/* The view's columns over the table's row in registers from base on. */
enum err bind_view_item(struct binder *binder, const struct view_layer *layer,
    const struct relation *table, struct rel *rel, reg_t base, struct from_item **item);
enum err bind_view_column(struct binder *binder, const struct view_target *target, const char *name,
    int32_t location, uint32_t *column);
void bind_view_need(struct binder *binder, const struct view_target *target, uint32_t privileges);
/* WHERE of all its layers. */
enum err bind_view_conditions(
    struct binder *binder, const struct view_target *target, struct rel *rel, struct scope *scope);
/* WITH CHECK OPTION, over the new row. */
enum err bind_view_checks(
    struct binder *binder, const struct view_target *target, struct modify *modify);

/* imply.c: a derived value of the relation whose column 0 is in register base. */
enum err bind_derived(struct binder *binder, const struct relation *relation, reg_t base,
    uint32_t number, struct expr **expr);
/* As expr_equal, but where the pattern has a constant the expression may have a parameter of that
 * value: then the plan is pinned to it. */
bool expr_matches(struct binder *binder, const struct expr *expr, const struct expr *pattern);
/* Where all of `known` are true, `wanted` (of an index) is true too, as far as is seen. */
bool expr_implied(
    struct binder *binder, struct expr *const *known, uint32_t count, const struct expr *wanted);

/* access.c */
void bind_need(struct binder *binder, const struct relation *relation, uint32_t privileges);
/* At the end: 42501. */
enum err bind_check_access(struct binder *binder);

/* record.c */
enum err bind_row(
    struct binder *binder, struct scope *scope, const struct ast_row *node, struct expr **expr);
struct expr *bind_record(struct binder *binder, struct expr *const *values,
    const char *const *names, uint32_t count, int32_t location);
struct expr *bind_whole_row(struct binder *binder, struct from_item *item, int32_t location);
enum err bind_star_row(
    struct binder *binder, struct scope *scope, const struct ast_column *node, struct expr **expr);
/* The row of a set-returning function of several columns. */
struct expr *bind_call_row(struct binder *binder, const struct plan_call *call, int32_t location);
enum err bind_record_field(struct binder *binder, struct scope *scope, struct expr *record,
    const char *name, int32_t location, struct expr **expr);
/* record IS NULL (all its columns), or IS NOT NULL (none). */
struct expr *bind_record_nulls(
    struct binder *binder, struct expr *record, bool null, int32_t location);
/* All of them: (row).* */
enum err bind_record_fields(struct binder *binder, struct scope *scope, struct expr *record,
    int32_t location, struct expr_vec *exprs, struct vec *names);

/* expr.c */
enum err bind_expr(
    struct binder *binder, struct scope *scope, const struct ast_node *node, struct expr **expr);
enum err bind_condition(struct binder *binder, struct scope *scope, const struct ast_node *node,
    const char *where, struct expr **expr);
/* An expression of a text kept in the catalog, over the scope's names. */
enum err bind_text(struct binder *binder, struct scope *scope, const char *text, enum clause clause,
    struct expr **expr);
const char *bind_column_name(const struct ast_node *node); /* what PostgreSQL calls a target */
const char *clause_name(enum clause clause);

/* The parameter $1 + number. */
enum err bind_parameter(struct binder *binder, struct scope *scope, uint32_t number,
    int32_t location, struct expr **expr);

/* function.c: functions of users. schema: NULL or as written. */
bool bind_is_user_function(struct binder *binder, const char *schema, const char *name);
enum err bind_user_call(struct binder *binder, struct scope *scope, const struct ast_call *call,
    struct expr **args, uint32_t count, struct expr **expr);
/* Its arguments, as they are written. */
enum err bind_user_arguments(struct binder *binder, struct scope *scope,
    const struct ast_call *call, struct expr ***args, uint32_t *count);
/* CALL of what no function of a user is. */
enum err bind_no_procedure(struct binder *binder, const struct ast_call *call);
/* In FROM; *query NULL: it is not to be put into the query. */
enum err bind_user_table(
    struct binder *binder, struct scope *scope, const struct ast_call *call, struct query **query);
/* Of a call that gives a record whose columns are known: how many there are; else 0. */
uint32_t bind_routine_columns(const struct expr *record, const struct routine **routine);
/* As CREATE FUNCTION wants it: what its body is to be checked with. polymorphic: it cannot be. */
enum err bind_routine(struct binder *binder, const struct user_function *function,
    bool *polymorphic, struct routine **routine);
/* expr.c: a call of a set-returning function whose arguments are what it wants. */
enum err bind_set_call(struct binder *binder, struct scope *scope, const struct ast_call *call,
    const struct function *function, struct expr **args, uint32_t count, struct expr **expr);

/* names.c */
enum err scope_column(struct binder *binder, struct scope *scope, const struct ast_column *column,
    struct expr **expr);
/* Does FROM, here or around, have this name? */
bool scope_has_relation(const struct scope *scope, const char *name);
enum err scope_star(struct binder *binder, struct scope *scope, const struct ast_column *column,
    struct expr_vec *exprs, struct vec *names);
uint32_t item_find(struct binder *binder, struct from_item *item, const char *name,
    int32_t location, struct expr **expr);
void item_columns(
    struct binder *binder, struct from_item *item, struct expr_vec *exprs, struct vec *names);
struct from_item *item_for_relation(
    struct binder *binder, struct rel *rel, const struct relation *relation, reg_t base);
/* Tells where an expression comes from, if it is a plain column of a table. */
void query_column_origin(
    const struct query *query, const struct expr *expr, oid_t *table, int16_t *attnum);

/* from.c */
enum err bind_from(struct binder *binder, struct scope *scope, const struct ast_list *from,
    struct join_tree *list);
enum err bind_table_rel(struct binder *binder, struct query *query, const struct relation *relation,
    const char *alias, struct rel **rel);
enum err bind_lookup_relation(
    struct binder *binder, const struct ast_table *table, const struct relation **relation);
struct scope *scope_without_items(struct binder *binder, const struct scope *scope);
enum err scope_add_item(
    struct binder *binder, struct scope *scope, struct from_item *item, int32_t location);

/* with.c */
enum err bind_with(struct binder *binder, struct scope *scope, const struct ast_with *with,
    const struct ast_select *select);
/* A reference. *query: to be placed as a subquery; else *rel is to be. */
enum err bind_cte(struct binder *binder, struct scope *scope, struct scope *found, struct cte *cte,
    const struct ast_table *table, struct query **query, struct rel **rel);

/* aggregate.c */
enum err bind_aggregate(struct binder *binder, struct scope *scope, const struct ast_call *call,
    const struct function *function, struct expr **args, uint32_t count, struct expr **expr);
/* ordered.c: f(..) WITHIN GROUP (ORDER BY ..) */
enum err bind_within_group(
    struct binder *binder, struct scope *scope, const struct ast_call *call, struct expr **expr);
/* window.c: f(..) OVER ..; and the clause WINDOW. */
enum err bind_window_call(struct binder *binder, struct scope *scope, const struct ast_call *call,
    const struct function *function, struct expr **args, uint32_t count, struct expr **expr);
enum err bind_windows(struct binder *binder, struct scope *scope, const struct ast_list *list);
/* lag(x, n, default): x and default of one type. */
enum err bind_window_default(
    struct binder *binder, const struct ast_call *call, struct expr **args, uint32_t count);
/* GROUPING(..): its arguments are looked at when the groups are known. */
enum err bind_grouping(struct binder *binder, struct scope *scope,
    const struct ast_grouping *grouping, struct expr **expr);
/* Replaces grouped expressions by their registers in targets and HAVING; 42803 on others. */
enum err bind_check_grouping(struct binder *binder, struct query *query);
void query_add_group(struct binder *binder, struct query *query, struct expr *expr);

/* select.c */
/* keep_unknown: untyped literals among the columns stay so; the caller gives them their type. */
enum err bind_query(struct binder *binder, struct scope *parent, const struct ast_select *select,
    bool keep_unknown, struct query **query);
/* Give column i, if it is still unknown, this type. */
enum err query_type_unknown(struct binder *binder, struct query *query, uint32_t i, oid_t type);
/* SELECT FROM query WHERE condition; the condition reads the query's columns. */
struct query *query_filtered(struct binder *binder, struct query *query, struct expr *condition);
/* EXISTS of query, tied to what is around it by one equality only, becomes IN: *tie is taken out of
 * the query, whose one column is now the inner side; *outer is the other. False: it is not of that
 * form. */
bool query_untie(
    struct binder *binder, struct query *query, struct expr **outer, struct expr **tie);
/* Its columns become those that a routine declares, or 42P13. */
enum err query_shape(
    struct binder *binder, struct query **query, const struct routine_result *result);
enum err bind_shape_mismatch(struct binder *binder, const struct routine_result *result,
    const char *detail, ...) __attribute__((format(printf, 3, 4)));
/* The one column of the query, cast. */
enum err query_cast_column(struct binder *binder, struct query **query, oid_t type);
struct scope *scope_new(struct binder *binder, struct scope *parent, struct query *query);
enum err bind_targets(struct binder *binder, struct scope *scope, const struct ast_list *list,
    enum clause clause, struct target **targets, uint32_t *count);

#endif /* SQL_BIND_BIND_H */
