/*
 * sql/plan/plan.h - what the planner hands to the executor.
 *
 * The register machine. A statement has one flat frame of registers, each a struct datum. Every
 * column of every relation, every computed target, aggregate result and subquery column has a
 * register of its own, given while binding. Operators do not pass tuples: a scan fills its
 * relation's registers, a filter reads them, a projection fills others. So an expression is bound
 * once, nothing is renumbered above a join, and a correlated subquery just reads the registers of
 * the query around it. An operator that keeps rows (sort, hash, materialize) saves the registers in
 * `live` of its child and puts them back when the row is its turn.
 *
 * Memory of what registers point to: valid until the operator that filled them is asked for its
 * next row (a join's outer row stays until the outer side moves on). Whoever keeps longer copies.
 *
 * A plan is immutable, lives in its own arena together with a catalog reference, and can be run by
 * many executions one after another (plan cache) and even at once.
 */
#ifndef SQL_PLAN_PLAN_H
#define SQL_PLAN_PLAN_H

#include "parser/ast.h"
#include "sql/catalog/catalog.h"
#include "sql/value/value.h"
#include "txn/txn.h"

typedef uint32_t reg_t;

/* ---- expressions
 * --------------------------------------------------------------------------------- */

enum expr_kind {
    EXPR_CONST,
    EXPR_PARAM,    /* $n of the statement, or a literal lifted out by the plan cache */
    EXPR_REGISTER, /* a value already in the frame */
    EXPR_CALL,     /* function or operator; strict ones give null on any null argument */
    EXPR_AND,      /* list; three-valued, left to right, short-circuit */
    EXPR_OR,
    EXPR_NOT,
    EXPR_IS_NULL,
    EXPR_IS_NOT_NULL,
    EXPR_IS_TRUE, /* IS NOT x is NOT (IS x) */
    EXPR_IS_FALSE,
    EXPR_CASE, /* whens/thens pairs in list, then optionally the else; searched form only */
    EXPR_COALESCE,
    EXPR_NULLIF,   /* two arguments; `function` is their equality */
    EXPR_GREATEST, /* list of one type */
    EXPR_LEAST,
    EXPR_DISTINCT_FROM, /* two arguments; `function` is their equality */
    EXPR_IN,            /* list[0] = any of list[1..]; `function` is the equality */
    EXPR_TYPMOD,        /* list[0] coerced to typmod of the same type; explicit_cast tells how */
    EXPR_TEXT_IO,       /* list[0] to `type` through its text form */
    EXPR_SUBPLAN,
};

enum subplan_kind {
    SUBPLAN_SCALAR, /* value of register `result`; null if no row; 21000 if more than one */
    SUBPLAN_EXISTS,
    SUBPLAN_ANY, /* list[0] function(list[0], result) for any row, three-valued */
    SUBPLAN_ALL,
};

struct subplan {
    enum subplan_kind kind;
    struct plan_node *root;
    reg_t result;    /* register of the subquery's one column */
    bool correlated; /* reads registers of the queries around it: run anew for each row. If not, run
                        once per execution (SUBPLAN_ANY of equality may build a hash table) */
};

struct expr {
    enum expr_kind kind;
    oid_t type;
    int32_t typmod;   /* -1: none */
    int32_t location; /* byte offset in the statement's text, -1: none; for error positions */
    oid_t domain;     /* as which it is known, its type being the base type; 0: none */
    bool explicit_cast;
    union {
        struct datum constant; /* EXPR_CONST */
        uint32_t param;        /* EXPR_PARAM, from 0 */
        reg_t reg;             /* EXPR_REGISTER */
        struct {
            const struct function *function;
            struct expr **list;
            uint32_t count;
            struct subplan *subplan; /* EXPR_SUBPLAN */
        };
    };
};

/* ---- operators
 * ------------------------------------------------------------------------------------- */

enum plan_kind {
    PLAN_RESULT,    /* one row without input (SELECT 1); child optional: one-time filter */
    PLAN_VALUES,    /* rows of expressions */
    PLAN_SCAN,      /* a relation, whole, in key order */
    PLAN_INDEX,     /* a relation through an index (its primary key included) */
    PLAN_VIRTUAL,   /* a catalog view */
    PLAN_REMOTE,    /* rows of a query that others run: plan_context.remote */
    PLAN_SHARED,    /* the rows of a WITH query that runs once; of a recursive one its last rows */
    PLAN_RECURSIVE, /* children[0]'s rows, then children[1]'s over them, until there are no more */
    PLAN_FUNCTION,  /* a set-returning function */
    PLAN_FILTER,
    PLAN_PROJECT,   /* evaluates targets into registers */
    PLAN_NEST_LOOP, /* for each outer row the inner side is run anew, and may read its registers */
    PLAN_HASH_JOIN, /* inner side is built; the keys' hash must be type-equal on both sides */
    PLAN_MERGE_JOIN,
    PLAN_MATERIALIZE, /* keeps its child's rows for the next time (inner side of a loop) */
    PLAN_SORT,
    PLAN_LIMIT,
    PLAN_AGGREGATE,
    PLAN_WINDOW,   /* window functions over one window; the child comes sorted by its keys */
    PLAN_DISTINCT, /* hash on `keys`; or, sorted, the first of equal neighbours (DISTINCT ON) */
    PLAN_SET,      /* UNION [ALL], INTERSECT [ALL], EXCEPT [ALL] */
    PLAN_LOCK,     /* FOR UPDATE / SHARE */
    PLAN_INSERT,
    PLAN_UPDATE,
    PLAN_DELETE,
};

enum join_kind {
    JOIN_INNER,
    JOIN_LEFT, /* outer side is children[0] */
    JOIN_FULL, /* hash join only, or nested loop on a materialized inner side */
    JOIN_SEMI, /* outer rows with a match */
    JOIN_ANTI, /* outer rows without a match (NOT EXISTS) */
};

struct plan_sort_key {
    reg_t reg;
    oid_t type;
    bool descending;
    bool nulls_first;
};

struct plan_target {
    struct expr *expr;
    reg_t reg;
};

struct plan_aggregate {
    const struct function *function;
    struct expr **args;
    uint32_t arg_count;
    bool distinct;
    struct plan_sort_key *order; /* over order_targets; string_agg(x ORDER BY y) */
    struct plan_target *order_targets;
    uint32_t order_count;
    struct expr *filter; /* or NULL */
    reg_t result;
};

enum window_function {
    WINDOW_AGGREGATE,
    WINDOW_ROW_NUMBER,
    WINDOW_RANK,
    WINDOW_DENSE_RANK,
    WINDOW_PERCENT_RANK,
    WINDOW_CUME_DIST,
    WINDOW_NTILE,
    WINDOW_LAG,
    WINDOW_LEAD,
    WINDOW_FIRST_VALUE,
    WINDOW_LAST_VALUE,
    WINDOW_NTH_VALUE,
};

/* All it looks at stands in registers of the child's rows. */
struct plan_window_call {
    enum window_function kind;
    const struct function *function;
    reg_t args[FUNCTION_ARGS_MAX];
    oid_t arg_types[FUNCTION_ARGS_MAX];
    uint32_t arg_count;
    bool has_filter;
    reg_t filter;
    reg_t result;
    oid_t type;
};

struct plan_frame {
    enum ast_frame_unit unit;
    enum ast_frame_bound_kind start, end;
    enum ast_frame_exclusion exclusion;
    struct expr *offsets[2]; /* of start and end: evaluated once; NULL: none */
    reg_t offset_regs[2];    /* where their values are then */
    oid_t offset_types[2];
    struct expr *bounds[2]; /* RANGE: range_key of the current row, and the offset away from it */
    reg_t range_key;        /* RANGE: a register of the rows, of the bounds' type */
    oid_t range_type;
};

/* One function of a PLAN_FUNCTION. One that returns no set is a set of one row. */
struct plan_call {
    const struct function *function;
    uint32_t first_arg, arg_count; /* among the node's args */
    reg_t result;                  /* its columns: result + 0 .. */
};

/* A stored relation inside a plan: where its columns and its row's identity go. */
struct plan_relation {
    const struct relation *relation;
    const char *alias;
    reg_t base;              /* column c is register base + c */
    const uint16_t *columns; /* which ones are wanted, ascending */
    uint32_t column_count;
    bool identity;     /* also fill the next two */
    reg_t key_reg;     /* the row's key in the table's tree (bytes) */
    reg_t version_reg; /* a struct txn_version (bytes, size 16) */
};

/* Bounds of an index scan on its leading columns. Each expr has the column's type, and reads
 * registers outside this scan only. A null bound matches nothing. */
struct plan_bounds {
    struct expr **equal; /* equal_count of them: columns 0..equal_count-1 */
    uint32_t equal_count;
    struct expr **in_list;   /* column equal_count is any of these (after `equal`), in_count > 0: */
    uint32_t in_count;       /* probed in sorted order without duplicates; then no low/high */
    struct expr *low, *high; /* on column equal_count; NULL: open */
    bool low_exclusive, high_exclusive;
    bool in_array; /* in_list is one expr, an array of the values; a null array matches nothing */
};

/* A WITH query that runs once, however often it is read: its rows are kept as they come. */
struct plan_shared {
    const char *name;
    struct plan_node *root;
    const reg_t *regs; /* its columns, as root leaves them */
    const oid_t *types;
    uint32_t column_count;
    bool modifies;    /* INSERT, UPDATE, DELETE: runs whole, read or not */
    bool marked;      /* live.c has seen it */
    uint32_t visited; /* live.c: in which walk */
    reg_t round;      /* recursive: counts what was read again, so that nothing is kept too long */
};

/* A query for the nodes that have the rows (ship.c): SELECT [DISTINCT] what is wanted, then `rest`.
 * Its texts name a parameter by REMOTE_PARAM number:type REMOTE_PARAM; what is put there is a
 * literal. All names in it are qualified, it means the same whatever is set there. */
enum {
    REMOTE_PARAM = 1,
};

struct plan_remote_output {
    reg_t reg;
    oid_t type;
    int32_t typmod;
    const char *text;
};

/* Rows that do not pass do not count: the shard column is one of `values`, or less or greater than
 * its only one. Constants or parameters. */
struct plan_remote_key {
    enum plan_remote_compare {
        REMOTE_ANY_OF,
        REMOTE_LESS,
        REMOTE_LESS_EQUAL,
        REMOTE_GREATER, /* or equal */
    } compare;
    struct expr *const *values;
    uint32_t value_count;
};

struct plan_remote {
    const struct relation *sharded; /* one of those whose buckets say where rows are; or NULL */
    bool home;                      /* a table that is not sharded; neither: all nodes are alike */
    bool replicated;                /* a replicated table is among them */
    const struct plan_remote_output *outputs;
    uint32_t output_count;
    const uint32_t *wanted; /* of outputs, in the order of the rows' values */
    uint32_t wanted_count;
    bool distinct;
    bool locks; /* rows are wanted to be changed: to be described, never to be run */
    const char *rest;
    const struct plan_sort_key *order; /* each node's rows come so: the streams are merged */
    uint32_t order_count;
    const struct plan_remote_key *keys;
    uint32_t key_count;
    const char *merge;             /* what is made of the nodes' rows, for EXPLAIN; or NULL */
    struct plan_relation relation; /* of a table alone */
};

struct plan_lock {
    const struct plan_relation *relation;
    enum txn_row_lock mode;
    enum txn_wait wait;
};

struct plan_node {
    enum plan_kind kind;
    struct plan_node *children[2];
    struct expr **filter; /* conjuncts every row must pass (after a join's own conditions; scans,
                             FILTER, AGGREGATE: HAVING); NULL counts as false */
    uint32_t filter_count;
    const reg_t *live; /* registers this node fills or passes on that somebody above reads */
    uint32_t live_count;
    double rows, cost; /* the planner's estimates, for EXPLAIN */
    union {
        struct { /* SCAN, INDEX, VIRTUAL */
            struct plan_relation relation;
            const struct index *index; /* INDEX */
            struct plan_bounds bounds;
            bool backward;
            bool index_only; /* all wanted columns are in the index (and decode exactly) */
        } scan;
        struct { /* VALUES: rows * column_count exprs; PROJECT uses targets */
            struct expr **exprs;
            uint32_t row_count, column_count;
            reg_t base;
        } values;
        struct { /* FUNCTION: calls side by side, until the longest has ended */
            struct plan_call *calls;
            uint32_t call_count;
            struct expr **args; /* of all calls */
            uint32_t arg_count;
            reg_t ordinality; /* WITH ORDINALITY if has_ordinality */
            bool has_ordinality;
        } function;
        struct { /* PROJECT, RESULT */
            struct plan_target *targets;
            uint32_t count;
        } project;
        struct { /* joins; children[0] outer, children[1] inner */
            enum join_kind kind;
            struct expr **condition; /* conjuncts of ON beyond the keys */
            uint32_t condition_count;
            struct expr **outer_keys, **inner_keys; /* HASH, MERGE: pairs of one type */
            uint32_t key_count;
        } join;
        struct { /* SORT */
            struct plan_sort_key *keys;
            uint32_t key_count;
            struct expr *bound; /* how many rows anyone will ask for (LIMIT + OFFSET), or NULL */
        } sort;
        struct {                         /* LIMIT */
            struct expr *count, *offset; /* NULL: none; bigint; a null value: none */
            struct plan_sort_key *ties;  /* WITH TIES: what the rows are sorted by; or NULL */
            uint32_t tie_count;
        } limit;
        struct {                        /* AGGREGATE; no groups: exactly one row */
            struct plan_target *groups; /* key exprs and the registers that show them */
            uint32_t group_count;
            struct plan_aggregate *aggregates;
            uint32_t aggregate_count;
            bool sorted; /* the child comes sorted by the groups */
            /* Grouping sets, bit i being groups[i]; the last group is the set's number. An empty
             * set has a group also if there are no rows. */
            const uint64_t *sets;
            uint32_t set_count;
        } aggregate;
        struct plan_remote *remote;
        struct { /* SHARED */
            struct plan_shared *shared;
            reg_t base; /* its columns */
            bool work;  /* inside of a recursive query: the rows of the last round */
        } shared;
        struct { /* RECURSIVE */
            struct plan_shared *shared;
            const reg_t *inputs[2];
            reg_t base;
            bool all; /* UNION ALL */
        } recursive;
        struct {                        /* WINDOW */
            struct plan_sort_key *keys; /* PARTITION BY's, then ORDER BY's */
            uint32_t partition_count, key_count;
            struct plan_frame frame;
            struct plan_window_call *calls;
            uint32_t call_count;
        } window;
        struct { /* DISTINCT */
            struct plan_sort_key *keys;
            uint32_t key_count;
            bool sorted;
        } distinct;
        struct { /* SET: child i's row is registers inputs[i][0..column_count) */
            enum plan_set_kind {
                SET_UNION,
                SET_INTERSECT,
                SET_EXCEPT
            } kind;
            bool all;
            const reg_t *inputs[2];
            reg_t base; /* the result's columns */
            const oid_t *types;
            uint32_t column_count;
        } set;
        struct { /* LOCK */
            struct plan_lock *locks;
            uint32_t lock_count;
            /* READ COMMITTED, a row changed meanwhile: judge the newest version by these (all
             * conjuncts of WHERE and ON of the query), all their registers being live. */
            struct expr **recheck;
            uint32_t recheck_count;
        } lock;
        struct { /* INSERT, UPDATE, DELETE */
            const struct relation *relation;
            /* The new row: expr for each column of the relation (NULL for dropped ones), evaluated
             * into new_base + column. UPDATE: exprs of unchanged columns are plain registers of the
             * old row. The casts to the column's type and typmod are in the exprs. */
            struct expr **columns;
            reg_t new_base;
            const uint16_t *changed; /* UPDATE: columns named in SET, ascending */
            uint32_t changed_count;
            struct plan_relation target;   /* UPDATE, DELETE: the old row, all columns live */
            struct plan_target *generated; /* after `columns`: generated columns of the new row */
            uint32_t generated_count;
            struct expr **derived; /* the relation's derived values over registers 0..; or NULL */
            struct expr **checks;  /* CHECK conditions over new_base; false raises 23514 */
            const char **check_names;
            uint32_t check_count;
            uint32_t table_check_count; /* those behind them are of views: 44000 */
            struct expr **recheck;      /* as in LOCK */
            uint32_t recheck_count;
            struct plan_target *returning; /* over new_base (DELETE: the old row) */
            uint32_t returning_count;      /* 0: no rows come out */
            /* INSERT .. ON CONFLICT: a duplicate in one of these indexes (per index of the
             * relation) is no error. Then nothing happens (children[1] is NULL), or the row that
             * stands there goes into the target registers of children[1], a PLAN_UPDATE without
             * child, which changes it if it passes that node's filter. */
            bool *arbiters;    /* NULL: no ON CONFLICT */
            bool any_conflict; /* none was named */
        } modify;
    };
};

/* ---- the whole
 * ------------------------------------------------------------------------------------- */

struct plan_column {
    const char *name;
    oid_t type;
    int32_t typmod;
    oid_t table; /* 0: not a plain column */
    int16_t attnum;
    oid_t domain; /* struct expr */
};

enum plan_statement {
    STATEMENT_SELECT,
    STATEMENT_INSERT,
    STATEMENT_UPDATE,
    STATEMENT_DELETE,
};

struct plan_table_lock {
    oid_t relation;
    const char *name;
    enum txn_table_lock mode;
};

/* The plan is right only for values of this parameter that stand so to a constant (bits: less 1,
 * equal 2, greater 4, null 8): what an index is about was found in the statement. */
struct plan_pin {
    uint32_t param;
    uint8_t orders;
    oid_t type;
    struct datum value;
};
uint8_t plan_pin_order(oid_t type, struct datum value, struct datum constant);

struct plan {
    enum plan_statement statement;
    struct plan_node *root;
    uint32_t register_count;
    /* The result row: registers result_base .. result_base + column_count. A statement that returns
     * no rows has column_count 0 and returns_rows false. */
    bool returns_rows;
    reg_t result_base;
    uint32_t column_count;
    const struct plan_column *columns;
    /* $1.. with the types they were given or inferred. */
    uint32_t param_count;
    const oid_t *param_types;
    const struct plan_table_lock *locks; /* what the session locks before it runs the plan */
    uint32_t lock_count;
    struct plan_shared *const *modifying; /* WITH queries that change rows, in their order */
    uint32_t modifying_count;
    bool called;             /* CALL */
    const char *unpopulated; /* a materialized view it reads that has no rows yet; or NULL */
    bool writes;             /* rows are changed or locked: refused in a read-only transaction */
    uint64_t catalog_version;
    const struct plan_check *const *fits; /* plan_fits */
    uint32_t fit_count;
    const struct plan_pin *const *pins; /* plan_fits */
    uint32_t pin_count;
};

struct plan_context {
    struct arena *arena; /* the plan's */
    struct diag *diag;
    const struct catalog *catalog;
    struct eval_env *env; /* for folding constants of immutable functions */
    bool refreshes;       /* a materialized view: DELETE FROM it */
    bool remote;          /* rows of tables are elsewhere: exec.h, struct exec_remote */
    struct txn_db *db;    /* sizes for estimates; may be NULL */
    const char *text;     /* the statement's text: error positions */
    /* Types of $1..: 0 is "infer it". In and out for Parse; lifted literals arrive with the type an
     * untyped literal of their kind has (int4, int8, numeric; TYPE_UNKNOWN for strings). */
    oid_t *param_types;
    uint32_t param_count; /* known so far; binding may extend up to param_max */
    uint32_t param_max;
    /* Names of the first parameters (NULL: this one has none), for texts that say them by name as
     * the bodies of SQL functions do: `name`, or `routine_name.name`. A column goes before. */
    const char *const *param_names;
    uint32_t param_name_count;
    const char *routine_name; /* or NULL */
    /* Of a routine's last statement: its columns become of these types, or 42P13. NULL: as they
     * are. */
    const struct routine_result *result;
    /* Values of the first parameters, if they are known: for estimates alone. */
    const struct datum *param_values;
    uint32_t param_value_count;
};

/* The text of a PLAN_REMOTE, parameters marked (REMOTE_PARAM); all: of all outputs, not only those
 * that are wanted. */
void ship_text(const struct plan_remote *remote, bool all, struct buffer *to);
/* As the text of a literal, without its type; false: it cannot be written down. */
bool ship_literal(const struct eval_env *own, oid_t type, struct datum value, struct buffer *to);

/* Bind and plan SELECT/VALUES/TABLE, INSERT, UPDATE, DELETE, CALL. Errors are PostgreSQL's with
 * position (1-based character in context->text). Does not sleep. */
enum err plan_make(struct task *task, struct plan_context *context, const struct ast_node *node,
    struct plan **plan);

/* What a routine's definition says, and whether its body can do that (not looked at where a type is
 * polymorphic). Errors have their context. relation (or 0): does it use this one? */
struct user_function;
enum err plan_check_routine(struct task *task, struct plan_context *context,
    const struct user_function *function, oid_t relation, bool *uses);

/* False: for these values of the parameters another plan may be much better, or this one is wrong
 * (plan_pin): ask before each execution. Cheap, and true at once for plans that do not depend on
 * them. */
bool plan_fits(const struct plan *plan, struct task *task, struct arena *arena,
    struct eval_env *env, const struct datum *params);

/* Parse and bind one expression over one relation's columns, whose column c is register base + c
 * (relation NULL: no columns allowed), coerced to `type` as by assignment (0: keep its own). For
 * CHECK (boolean) and DEFAULT. */
/* WHERE of COPY FROM, over the columns of a relation in registers from base. */
enum err plan_bind_condition(struct task *task, struct plan_context *context,
    const struct ast_node *node, const struct relation *relation, reg_t base, struct expr **expr);
enum err plan_bind_expression(struct task *task, struct plan_context *context, const char *text,
    const struct relation *relation, reg_t base, oid_t type, int32_t typmod, struct expr **expr);

/* A view's query: the columns it gives, the text to keep, and what it looks at. */
struct view_use {
    oid_t relation;
    uint32_t column; /* from 1; 0: the relation itself */
};

struct view_definition {
    const char *text;
    struct plan_column *columns;
    uint32_t column_count;
    struct view_use *uses;
    uint32_t use_count, use_capacity;
};

struct view_rename {
    oid_t relation;
    int column;              /* from 0; -1: the relation itself */
    const char *schema_name; /* of the relation */
    const char *name;        /* the new one */
    const char *label;       /* of an enum (relation: the type's OID), to be called so; else NULL */
};

/* An index's expression, or (predicate) its condition, over the relation: as it is kept, and bound
 * with column c in register c. */
enum err plan_describe_index(struct task *task, struct plan_context *context,
    const struct ast_node *node, const struct relation *relation, bool predicate, const char **text,
    struct expr **expr);

/* Writes the text of a DEFAULT (relation NULL), CHECK or generated column anew, with the casts that
 * binding found: so it means the same later, and is shown as PostgreSQL shows it. type, typmod: as
 * for plan_bind_expression. */
enum err plan_keep_expression(struct task *task, struct plan_context *context,
    const struct relation *relation, oid_t type, int32_t typmod, const char **text);

/* What stands within casts between integers. */
const struct expr *expr_strip_integers(const struct expr *expr);

/* All registers an expression reads, those read by subplans' queries included. */
void expr_reads(const struct expr *expr, void (*read)(void *arg, reg_t reg), void *arg);

/* Why rows cannot be changed through the view (verb: "insert into", "update", "delete from");
 * *why NULL: they can. */
enum err plan_view_refused(struct task *task, struct plan_context *context,
    const struct relation *view, const char *verb, const char **why);

/* The same for catalog_set_view_probe. */
bool plan_view_probe(struct eval *eval, const struct catalog *catalog, const struct relation *view,
    const char *verb);

/* bind/view.c. rename (or NULL): the text is to follow it. */
enum err plan_describe_view(struct task *task, struct plan_context *context,
    const struct ast_select *query, const struct view_rename *rename,
    struct view_definition *definition);

/* The plan as EXPLAIN prints it (PostgreSQL's layout). counters: per-node actual rows and loops
 * from exec (in preorder of nodes), or NULL. One line per call of `line`. */
struct plan_counter {
    uint64_t rows, loops;
    int64_t time_us;
};
struct plan_places { /* who knows to which nodes a PLAN_REMOTE goes; may be NULL */
    void (*put)(void *arg, const struct plan_remote *remote, struct buffer *to);
    void *arg;
};
struct plan_explain_style {
    bool costs;
    bool times; /* of each node, where counters are given */
    bool summary;
    int64_t planning_us, execution_us; /* in the summary; negative: not known */
};
void plan_explain(const struct plan *plan, const struct eval_env *env,
    struct plan_explain_style style, const struct plan_counter *counters,
    const struct plan_places *places, void (*line)(void *arg, const char *text), void *arg);
/* The same as one JSON text. */
void plan_explain_json(const struct plan *plan, const struct eval_env *env,
    struct plan_explain_style style, const struct plan_counter *counters,
    const struct plan_places *places, struct buffer *to);

#endif /* SQL_PLAN_PLAN_H */
