/*
 * sql/plan/planner.h - what the planner's files share.
 *
 * One struct level per SELECT level: conditions become predicates that know which relations of the
 * level they read; join.c orders the joins by estimated cost, access.c chooses how a table is read,
 * query.c puts aggregation, sorting and the rest on top, live.c finds which registers each operator
 * must keep.
 *
 * Invariants
 *   PL1. A predicate is applied exactly once on every row, at the lowest operator where all it
 * reads is there; an outer join's ON conditions decide matches, never which outer rows come out.
 *   PL2. A bound of an index scan reads only registers that are filled before the scan begins.
 *   PL3. A plan is right for every value of its parameters. Those it was made for (if known) guide
 * estimates only, and plan_fits tells whether others are like them.
 */
#ifndef SQL_PLAN_PLANNER_H
#define SQL_PLAN_PLANNER_H

#include "sql/bind/bind.h"

typedef uint64_t rel_set; /* bit i: relation i of the level's query->rels (at most 64) */

struct planner {
    struct binder *binder;
    struct arena *arena;
    struct task *task;
    struct diag *diag;
    struct plan_context *context;
    struct vec modifies; /* struct planned_modify *: what is left to do for them at the end */
    struct vec checks;   /* struct plan_check *: estimates that rest on parameters */
};

struct pred {
    struct expr *expr;
    rel_set rels; /* of this level; those of queries around it are like constants */
    /* For estimates and joins (conds.c): */
    double implied;                /* what predicates derived of this one let pass already */
    uint32_t equals;               /* the class of equal columns it is of; 0: none */
    bool derived;                  /* not written, follows of others of its class */
    const struct unnested *tie_of; /* `each` of it has this condition inside */
};

struct level {
    struct planner *planner;
    struct query *query;
    rel_set needs[64];   /* of relation i (LATERAL): relations it reads */
    struct vec unnested; /* struct unnested *: to be joined with all of FROM */
    bool keep_order;     /* only joins that keep their outer side's order, for the moment */
};

/* A subquery of WHERE that is joined (unnest.c). */
struct unnested {
    enum join_kind kind; /* SEMI, ANTI; INNER: a scalar subquery, grouped by its ties */
    struct rel *rel;
    struct expr_vec preds; /* on a stored table alone */
    struct expr_vec ties;  /* the join's conditions */
    struct query *each;    /* the same for one outer row at a time, ties included; or NULL */
};

/* Keys a result should be sorted by: for choosing an index that gives the order. */
struct order {
    const struct plan_sort_key *keys;
    uint32_t count;
    double expected; /* how many rows somebody will likely ask for; 0: all */
};

struct path {
    struct plan_node *node;
    rel_set rels, needs;
    double rows, cost;
    bool single; /* certainly no more than one row */
};

/* How a table is read. */
struct access {
    const struct index *index; /* NULL: the whole table */
    struct expr *equal[INDEX_COLUMNS_MAX];
    uint32_t equal_count;
    struct expr *in; /* EXPR_IN on the next column */
    struct expr *low, *high;
    bool low_exclusive, high_exclusive;
    bool backward;
    uint64_t consumed; /* predicates (by position, below 64) that the bounds stand for */
    double rows, cost;
    double scanned; /* rows met before the filter */
    bool single;    /* all of a unique key is bound */
};

struct plan_node *plan_node_new(struct planner *planner, enum plan_kind kind, double rows,
    double cost, struct plan_node *child);

/* query.c. `contiguous`: the columns come in registers one after another, from *base. */
enum err plan_query(
    struct planner *planner, struct query *query, bool contiguous, reg_t *base, struct path *path);
/* FROM and WHERE alone. `order`: an order that is welcome; *ordered: it is so. */
enum err plan_from(
    struct level *level, const struct order *order, bool *ordered, struct path *path);
/* shared.c: reading a WITH query that runs once. */
enum err plan_shared_scan(struct planner *planner, const struct rel *rel, struct path *path);
enum err plan_shared_query(struct planner *planner, struct shared *shared);
/* plan.c */
enum err plan_modify_node(struct planner *planner, struct modify *modify, struct plan_node **node);
/* query.c: one side of a set operation; its columns, cast, and the registers they are in. */
enum err plan_side(struct planner *planner, struct query *side, struct expr **exprs, uint32_t count,
    struct path *path, const reg_t **inputs);
/* Plans the subqueries in an expression. */
enum err plan_subplans(struct planner *planner, struct expr *expr);
void level_start(struct level *level, struct planner *planner, struct query *query);
/* All inner conditions that read these relations: what a changed row is judged by again. */
enum err level_recheck(struct level *level, rel_set rels, struct expr_vec *to);

/* join.c */
enum err plan_join_tree(struct level *level, struct join_tree *tree, struct vec *preds,
    const struct order *order, bool *ordered, struct path *path);
struct pred *pred_new(struct level *level, struct expr *expr);
rel_set level_rels(struct level *level, const struct expr *expr);
rel_set rel_bit(const struct level *level, const struct rel *rel);
void node_filter(
    struct planner *planner, struct plan_node *node, struct expr **exprs, uint32_t count);

/* conds.c: the parts of a condition that are ANDed; and what predicates imply, added to them. */
void conds_split(struct planner *planner, struct expr *expr, struct expr_vec *to);
void conds_derive(struct level *level, struct vec *preds);

/* unnest.c: takes subqueries out of the conditions of *tree (a copy is made) into level->unnested.
 */
void plan_unnest(struct level *level, struct join_tree **tree);

/* access.c. preds: of this relation, and those that become usable with `available` filled. */
void access_choose(struct level *level, struct rel *rel, struct pred *const *preds,
    uint32_t pred_count, rel_set available, const struct order *order, struct access *access);
/* What the predicates not consumed filter: put by the caller. */
enum err access_build(struct level *level, struct rel *rel, const struct access *access,
    struct pred *const *preds, uint32_t pred_count, struct plan_node **node);
/* The index alone tells what is in this column. */
bool index_gives_column(
    const struct relation *relation, const struct index *index, uint32_t column);
/* "=" of two sides that hash and sort alike. */
bool expr_is_equality(const struct expr *expr);

/* ship.c: a query level whose rows are elsewhere, as far as others can do it. */
enum shipped {
    SHIPPED_NOTHING, /* *path is not set */
    SHIPPED_ROWS,    /* FROM and WHERE */
    SHIPPED_PARTIAL, /* and aggregation; HAVING is done */
    SHIPPED_GROUPS,  /* the same */
};
/* *ordered: the rows come as ORDER BY wants them. */
enum err ship_query(struct planner *planner, struct query *query, enum shipped *shipped,
    bool *ordered, struct path *path);
/* A table's scan, already with its filter, becomes PLAN_REMOTE. */
enum err ship_table(struct planner *planner, struct rel *rel, struct plan_node *node);
/* query.c: computed before DISTINCT and ORDER BY. */
bool query_target_is_early(const struct query *query, uint32_t target);
/* ORDER BY's keys; DISTINCT ON's first, in ORDER BY's order as far as it names them. */
struct plan_sort_key *query_sort_keys(
    struct planner *planner, const struct query *query, uint32_t *count);

/* selectivity.c */
enum {
    SELECTIVITY_ARRAY_COUNT = 10, /* values in an array that is not known yet */
};
double rel_row_count(const struct level *level, const struct rel *rel);
/* *known (may be NULL) false: a guess. */
double rel_distinct(const struct level *level, const struct rel *rel, uint32_t column, bool *known);
/* Of an expression over a relation's rows; 0: nothing is known. */
double expr_distinct(struct level *level, const struct expr *expr);
double pred_selectivity(struct level *level, const struct expr *expr);
/* Of all together: bounds on both sides of a column are one range. */
double preds_selectivity(struct level *level, struct pred *const *preds, uint32_t count);

/* live.c */
void plan_mark_live(
    struct planner *planner, struct plan_node *root, const reg_t *wanted, uint32_t wanted_count);
/* Of WITH queries that are run, read or not; after plan_mark_live. */
void plan_mark_shared(struct planner *planner, struct plan_shared *const *shared, uint32_t count);
/* Calls read for each register this node itself reads (subqueries' included). */
void plan_node_reads(const struct plan_node *node, void (*read)(void *arg, reg_t reg), void *arg);
void plan_node_exprs(
    const struct plan_node *node, void (*visit)(void *arg, struct expr *expr), void *arg);

/* deparse.c: an expression as EXPLAIN shows it. */
struct deparse_name {
    reg_t reg;
    const char *name;
};
struct deparser {
    const struct eval_env *env; /* for names and labels of users' types */
    struct arena *arena;
    struct deparse_name *names;
    uint32_t name_count, name_capacity;
    struct vec subplans; /* struct expr *: numbered in order */
};
void deparse_expr(struct deparser *deparser, const struct expr *expr, struct buffer *to);
void deparse_name_add(struct deparser *deparser, reg_t reg, const char *name);
const char *deparse_name_find(const struct deparser *deparser, reg_t reg);

#endif /* SQL_PLAN_PLANNER_H */
