/*
 * sql/exec/exec_internal.h - shared by the files of sql/exec. README.md has the tour and the
 * invariants (E1..).
 *
 * The frame: one array of datums. First the plan's registers, then the parameters, then constants
 * and temporaries of the compiled programs. Every operand of every instruction is a place in it.
 */
#ifndef SQL_EXEC_EXEC_INTERNAL_H
#define SQL_EXEC_EXEC_INTERNAL_H

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sql/catalog/index_key.h"
#include "sql/exec/exec.h"
#include "sql/exec/spill.h"

typedef uint32_t slot_t;

/* ---- compiled expressions -------------------------------------------------------------------- */

enum opcode {
    OP_MOVE,
    OP_CALL, /* count arguments from a on */
    OP_CALL1,
    OP_CALL2,
    OP_EQ_INT, /* compares and sums of integers and the like; strict */
    OP_NE_INT,
    OP_LT_INT,
    OP_LE_INT,
    OP_GT_INT,
    OP_GE_INT,
    OP_EQ_TEXT,
    OP_NE_TEXT,
    OP_LT_TEXT,
    OP_LE_TEXT,
    OP_GT_TEXT,
    OP_GE_TEXT,
    OP_ADD_INT4,
    OP_SUB_INT4,
    OP_ADD_INT8,
    OP_SUB_INT8,
    OP_MUL_INT8,
    OP_AND_STEP, /* dst &= a; jump if that is false */
    OP_OR_STEP,  /* dst |= a; jump if that is true */
    OP_NOT,
    OP_IS_NULL,
    OP_IS_NOT_NULL,
    OP_IS_TRUE,
    OP_IS_FALSE,
    OP_JUMP,
    OP_JUMP_UNLESS,   /* a is not true */
    OP_JUMP_NOT_NULL, /* a */
    OP_NULLIF,        /* dst = a, or null if a = b */
    OP_BEST,          /* dst = the greater (count 1) or lesser (0) of dst and a; nulls lose */
    OP_DISTINCT,      /* a IS DISTINCT FROM b */
    OP_IN_STEP,       /* dst (false or null) becomes true and jumps if a = b */
    OP_IN_STEP_INT,
    OP_IN_LIST, /* a is in a long list of known values */
    OP_TYPMOD,
    OP_TEXT_IO,
    OP_SUBPLAN,
    OP_REQUIRE, /* the end of a filter unless a is true */
};

struct ins {
    uint8_t op;
    bool strict;
    uint16_t count;
    slot_t dst, a, b;
    uint32_t jump;
    union {
        function_call *call;
        const struct expr *expr;
        const struct subplan_code *subplan;
        const struct in_code *in;
    };
};
_Static_assert(sizeof(struct ins) == 32, "two instructions a cache line");

/* A value: after running (nothing, if count is 0) it stands in `result`. As a filter: see
 * exec__passes; count 0 is always true. */
struct code {
    const struct ins *ins;
    uint32_t count;
    slot_t result;
};

struct machine {
    struct datum *frame;
    struct eval eval;   /* its arena is that of the running program */
    struct exec *exec;  /* NULL: subplans are impossible */
    struct buffer text; /* of OP_TEXT_IO, kept for the next time */
    bool passed;
};

enum err exec__run(struct machine *machine, const struct code *code, struct arena *arena);

/* ---- compiled plans -------------------------------------------------------------------------- */

/* Registers that an operator keeps and puts back. */
struct reg_list {
    const reg_t *regs;
    const bool *by_reference;
    uint32_t count;
};

static inline struct row_form
row_form_of(const struct reg_list *list)
{
    return (struct row_form){.by_reference = list->by_reference, .count = list->count};
}

struct aggregate_code {
    const struct plan_aggregate *plan;
    struct code args; /* all of them, into arg_slot.. */
    slot_t arg_slot;
    uint32_t arg_count;
    struct code filter;
    bool has_filter, strict, counts_rows;
    bool gathers;           /* DISTINCT or ORDER BY: arguments are kept until the end */
    const oid_t *arg_types; /* of the kept tuple: arguments, then order values */
    const bool *tuple_by_reference;
    struct code order_values;
    const struct key_code *order; /* over the kept tuple: slot is its position there. The first one
                                     is the group's number, the others are order_count */
    uint32_t order_count;
    uint32_t state_at; /* offset in a group's states */
};

struct node_code {
    const struct plan_node *plan;
    const struct node_kind *kind;
    struct node_code *children[2];
    uint32_t number; /* in the executions' array of nodes; of the main tree: in preorder */
    struct code filter;
    struct reg_list external; /* registers read here or below but not filled here or below */
    struct reg_list saved;    /* what is kept of the child's row (SORT, MATERIALIZE), of the inner
                                 row (HASH_JOIN), of the result (modify with RETURNING); REMOTE: the
                                 row */
    bool again;               /* REMOTE: may be started more than once */
    struct reg_list nulls[2]; /* joins: each side's row; what is null when that side has none */
    union {
        struct {
            const struct index *index; /* NULL: the table's own tree, whole */
            tree_id_t tree;
            bool secondary; /* rows are fetched by the key that the entry leads to */
            bool point;     /* equal_count covers a unique key */
            struct code *equal;
            struct code *in_list;
            struct code low, high;
            const int32_t
                *key_targets; /* index only: register of each key column, -1: not wanted */
            const int32_t *row_key_targets;
            uint32_t key_target_count, row_key_target_count; /* up to the last wanted one */
            const int32_t *included_targets;                 /* INCLUDE */
            uint32_t included_target_count;
        } scan;
        struct {
            struct code *exprs; /* one program a row */
        } values;
        struct {
            struct code args;
            slot_t arg_slot;
        } function;
        struct {
            struct code targets;
            struct code once; /* RESULT: its filter, judged before anything else */
        } project;
        struct {
            struct code condition;
            struct code outer_keys, inner_keys; /* into key_slots */
            slot_t outer_slot, inner_slot;
            const oid_t *key_types;
            const bool *key_by_reference;
        } join;
        struct {
            const struct key_code *keys;
            struct code bound;
            bool has_bound;
        } sort;
        struct {
            struct code count, offset;
            bool has_count, has_offset;
        } limit;
        struct {
            struct code groups; /* into group_slot.. */
            slot_t group_slot;
            const oid_t *types;
            const bool *by_reference;
            const struct aggregate_code *aggregates;
            uint32_t states_size;
        } aggregate;
        struct {
            const struct key_code *keys;
            const oid_t *types;
            const bool *by_reference;
        } distinct;
        struct {
            const struct shared_code *code;
            const bool *by_reference; /* RECURSIVE: of its columns */
        } shared;                     /* SHARED, RECURSIVE */
        struct {
            const struct key_code *keys; /* over kept rows: PARTITION BY's, then ORDER BY's */
            struct code offsets[2], bounds[2];
            uint32_t range_at;         /* places in kept rows */
            const uint32_t *arg_at;    /* FUNCTION_ARGS_MAX per call */
            const uint32_t *filter_at; /* per call */
        } window;
        struct {
            const bool *by_reference;
        } set;
        struct {
            struct code recheck;
        } lock;
        struct {
            struct code columns;
            struct code generated; /* after columns */
            struct code *checks;
            struct code recheck;
            struct code returning;
            bool key_changes;    /* SET names a column of the primary key */
            const bool *touched; /* per index: SET names a column that its entries depend on */
            bool derives;        /* some of these have derived values */
        } modify;
    };
};

struct subplan_code {
    const struct subplan *plan;
    struct node_code *root;
    uint32_t number;
    slot_t left; /* ANY, ALL */
    const struct function *function;
    oid_t type;      /* of the result register */
    oid_t hash_type; /* ANY by equality of one type: hashed; 0: not */
    bool memo;       /* correlated, and its answer depends on `external` alone */
    struct reg_list external;
};

/* A WITH query that runs once. */
struct shared_code {
    const struct plan_shared *plan;
    struct node_code *root;
    uint32_t number;
    struct reg_list columns;
    struct reg_list external; /* what it reads from outside: if that changes it runs anew */
};

/* IN over many constants and parameters: put into a hash table at the first use. */
struct in_code {
    uint32_t number; /* of its state, among those of subplans */
    const slot_t *items;
    uint32_t count;
    oid_t type;
};

struct constant {
    slot_t slot;
    struct datum value;
};

struct exec_program {
    const struct plan *plan;
    struct node_code *root;
    struct node_code **nodes; /* by number */
    uint32_t node_count, main_count;
    const struct shared_code **shared; /* by number */
    uint32_t shared_count;
    uint32_t subplan_count; /* those of subplans and of long IN lists */
    const struct constant *constants;
    uint32_t constant_count;
    slot_t param_slot;
    uint32_t slot_count;
    size_t stack_size; /* what nodes that ask one another need of a task's stack */
    size_t state_size; /* of an execution, frame and all */
};

/* ---- executions ------------------------------------------------------------------------------ */

struct node {
    const struct node_code *code;
    struct node *children[2];
};

/* One operator. start: to before the first row, whatever was before; it may be called any number of
 * times. next: the registers hold the next row, or *found is false; not called again after that
 * before the next start. close: gives back what is not the arena's. */
struct node_kind {
    size_t state_size;
    enum err (*start)(struct task *task, struct exec *x, struct node *node);
    enum err (*next)(struct task *task, struct exec *x, struct node *node, bool *found);
    void (*close)(struct task *task, struct exec *x, struct node *node);
};

extern const struct node_kind exec__result, exec__values, exec__scan, exec__point, exec__virtual,
    exec__remote, exec__function, exec__filter, exec__project, exec__nest_loop, exec__hash_join,
    exec__merge_join, exec__materialize, exec__sort, exec__limit, exec__aggregate_hash,
    exec__aggregate_sorted, exec__shared, exec__recursive, exec__window, exec__distinct_hash,
    exec__distinct_sorted, exec__set, exec__lock, exec__insert, exec__update, exec__delete;

struct subplan_state {
    struct node *root;
    bool done;           /* not correlated: the answer below is final */
    struct datum value;  /* SCALAR, EXISTS */
    struct arena memory; /* of value, rows */
    struct hash_table *table;
    struct datum *rows; /* ANY, ALL without a table */
    uint32_t row_count, row_capacity;
    size_t held;
    bool has_null, has_any;   /* among the values */
    uint32_t asked, answered; /* of a memo: how often, and how often it knew */
};

struct shared_state {
    struct store store;
    struct arena memory;    /* of `outside` */
    struct datum *outside;  /* NULL: not begun */
    struct node *recursive; /* the node that keeps the last round's rows */
    size_t held;
    bool complete;
};

struct exec {
    struct machine machine; /* machine.frame */
    const struct exec_program *program;
    struct exec_context context;
    struct node **nodes;
    struct subplan_state *subplans;
    struct shared_state *shared;
    struct plan_counter *counters;
    struct arena temp; /* what filters and keys leave behind; used as a stack with marks */
    struct spill_context spill, hash_spill;
    struct foreign_work *foreign; /* foreign.h; NULL: nothing yet */
    uint64_t held;                /* bytes, by all operators */
    uint64_t row_count;
    bool started, ended;
};

enum err exec__counted_next(struct task *task, struct exec *x, struct node *node, bool *found);
enum err exec__start(struct task *task, struct exec *x, struct node *node);

/* Runs a filter. Its garbage is gone afterwards. */
static inline enum err
exec__passes(struct exec *x, const struct code *code, bool *passes)
{
    *passes = true;
    if (code->count == 0) {
        return ERR_OK;
    }
    struct arena_mark mark = arena_mark(&x->temp);
    enum err err = exec__run(&x->machine, code, &x->temp);
    *passes = x->machine.passed;
    arena_rewind(&x->temp, mark);
    return err;
}

/* The next row that passes the node's filter. */
static inline enum err
exec__next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    if (x->counters != NULL) {
        return exec__counted_next(task, x, node, found);
    }
    const struct node_code *code = node->code;
    bool passes = true;
    do {
        TRY(code->kind->next(task, x, node, found));
        if (!*found || code->filter.count == 0) {
            return ERR_OK;
        }
        TRY(exec__passes(x, &code->filter, &passes));
    } while (!passes);
    return ERR_OK;
}

static inline enum err
exec__evaluate_code(struct exec *x, const struct code *code, struct arena *arena)
{
    return code->count == 0 ? ERR_OK : exec__run(&x->machine, code, arena);
}

enum err exec__subplan(
    struct exec *x, const struct subplan_code *code, struct arena *arena, struct datum *result);
struct datum exec__in_list(struct exec *x, const struct in_code *code, struct datum value);
void exec__subplans_close(struct exec *x);
/* shared.c: a data-modifying WITH query, to its end. */
enum err exec__shared_finish(struct task *task, struct exec *x, uint32_t number);
void exec__shared_close(struct task *task, struct exec *x);

/* An operator that kept *held bytes keeps `size` now. ERR_LIMIT if all together are too many. */
enum err exec__held_too_much(const struct exec *x);
static inline enum err
exec__hold(struct exec *x, size_t *held, size_t size)
{
    x->held += size - *held;
    *held = size;
    return x->held > x->context.memory_max ? exec__held_too_much(x) : ERR_OK;
}

/* ---- joins ----------------------------------------------------------------------------------- */

static inline void
exec__set_nulls(struct exec *x, const struct reg_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        x->machine.frame[list->regs[i]] = datum_null();
    }
}

/*
 * What a join does when it has looked for the outer row's next pair: `pair` says whether it found
 * one, *has_outer becomes false when the outer row is through, *matched says whether it ever had a
 * pair. True: there is a row to give (with nulls for the inner columns if there was no pair).
 */
static inline bool
exec__join_gives(struct exec *x, const struct node *node, bool pair, bool *has_outer, bool *matched)
{
    enum join_kind kind = node->code->plan->join.kind;
    if (pair) {
        *matched = true;
        *has_outer = kind != JOIN_ANTI && kind != JOIN_SEMI;
        return kind != JOIN_ANTI;
    }
    *has_outer = false;
    if (*matched || (kind != JOIN_LEFT && kind != JOIN_FULL && kind != JOIN_ANTI)) {
        return false;
    }
    exec__set_nulls(x, &node->code->nulls[1]);
    return true;
}

static inline bool
exec__any_null(const struct datum *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].null) {
            return true;
        }
    }
    return false;
}

/* ---- rows.c: keeping rows -------------------------------------------------------------------- */

/* A row's values, deep, in one piece of memory. regs: NULL, or places of the values in `row`. */
struct datum *row_save(
    struct arena *arena, const struct datum *row, const uint32_t *regs, struct row_form form);
/* The registers' values. */
static inline struct datum *
exec__save(struct arena *arena, const struct datum *frame, const struct reg_list *list)
{
    return row_save(arena, frame, list->regs, row_form_of(list));
}
/* count datums from `from` on, likewise; head bytes are left free before them. */
void *exec__save_keys(struct arena *arena, size_t head, const struct datum *from,
    const bool *by_reference, uint32_t count);
static inline void
exec__restore(struct datum *frame, const struct reg_list *list, const struct datum *row)
{
    for (uint32_t i = 0; i < list->count; i++) {
        frame[list->regs[i]] = row[i];
    }
}

/* Chained hash table of entries that begin with a struct hash_entry; entries are their owner's. */
struct hash_entry {
    struct hash_entry *next;
    uint64_t hash;
};

/* A bucket is the address of its first entry and, in the 16 bits that no address has, a bit for
 * each of its entries, by their hash: most keys that are not there are refused without a look at
 * any. */
struct hash_table {
    uint64_t *buckets;
    uint64_t mask;
    uint64_t count;
};

void hash_table_clear(struct hash_table *table); /* empty; keeps the buckets */
void hash_table_destroy(struct hash_table *table);
void hash_table_add(struct hash_table *table, struct hash_entry *entry, uint64_t hash);
size_t hash_table_memory(const struct hash_table *table);
/* Neither the bits that choose a bucket nor those that choose a partition (spill.h). */
static inline uint64_t
hash_table_bit(uint64_t hash)
{
    return (uint64_t)1 << (48 + (hash >> 24 & 15));
}
static inline struct hash_entry *
hash_table_first(const struct hash_table *table, uint64_t hash)
{
    if (table->buckets == NULL) {
        return NULL;
    }
    uint64_t bucket = table->buckets[hash & table->mask];
    return (bucket & hash_table_bit(hash)) == 0
               ? NULL
               : (struct hash_entry *)(uintptr_t)(bucket << 16 >> 16);
}

uint64_t exec__hash_keys(const oid_t *types, const struct datum *keys, uint32_t count);
/* Nulls are equal to each other. */
bool exec__equal_keys(
    const oid_t *types, const struct datum *a, const struct datum *b, uint32_t count);
/* As ORDER BY has it; slot of a key is the position in the rows. */
int exec__compare_rows(
    const struct key_code *keys, uint32_t count, const struct datum *a, const struct datum *b);

int exec__compare_key(const struct key_code *key, const struct datum *x, const struct datum *y);
/* Of the value of the first key. */
uint64_t exec__sort_prefix(const struct key_code *key, const struct datum *value);
/* Stable. other: room for count items; the result is in items. Breathes. */
enum err exec__sort_items(struct task *task, struct sort_item *items, struct sort_item *other,
    size_t count, const struct key_code *keys, uint32_t key_count, struct diag *diag);

/* MATERIALIZE; a nested loop's FULL JOIN looks into its inner side's. */
struct materialize_state {
    struct node node;
    struct store store;  /* the current row is the one before its next */
    struct arena memory; /* of `outside` */
    struct datum *outside;
    size_t held;
    bool begun, complete;
};

/* The registers still have the values kept by exec__save. */
bool exec__same_outside(
    const struct exec *x, const struct reg_list *external, const struct datum *kept);

/* ---- writer.c: rows with their index entries ------------------------------------------------- */

struct writer {
    const struct exec_context *context;
    const struct relation *relation;
    struct buffer key, row, entry;
    struct arena memory;         /* of one row's work; the owner resets it */
    struct expr *const *derived; /* derive.h: of the plan, or NULL */
    struct index_deriver *deriver;
    struct datum *full[2]; /* an old and a new row with their derived values */
    bool unchecked;        /* a bucket on its way in or out: its state is the mover's business */
};

enum {
    WRITER_OLD,
    WRITER_NEW,
};

void writer__create(
    struct writer *writer, const struct exec_context *context, const struct relation *relation);
void writer__destroy(struct writer *writer);
/* May this row, as it is or will be, be written here (sql/catalog/buckets.h)? Every write asks. */
enum err writer__check_bucket(struct task *task, struct writer *writer, const struct datum *row);
enum err writer__check_not_null(struct writer *writer, const struct datum *row);
/* The row with its derived values; itself if there are none. Valid until the next of that slot.
 * Where `full` stands below, such a row is meant. */
enum err writer__derive(struct task *task, struct writer *writer, int slot, const struct datum *row,
    const struct datum **full);
/* The row and all its entries. Its key is left in writer->key. */
enum err writer__insert(struct task *task, struct writer *writer, const struct datum *row);
/* The same, but a duplicate in one of the `arbiters` (per index) writes nothing and is no error:
 * *conflict is that index (else NULL), *existing what stands in its tree in the newest version. */
enum err writer__try_insert(struct task *task, struct writer *writer, const struct datum *row,
    const bool *arbiters, const struct index **conflict, struct txn_row *existing);
/* The entry, if it has one, of a row that was just written or removed under row_key. */
enum err writer__add_entry(struct task *task, struct writer *writer, const struct index *index,
    const struct datum *full, struct slice row_key);
enum err writer__remove_entry(struct task *task, struct writer *writer, const struct index *index,
    const struct datum *full, struct slice row_key);
/* All secondary entries of a removed row. */
enum err writer__remove_entries(
    struct task *task, struct writer *writer, const struct datum *row, struct slice row_key);
/* Changes a row with its entries, whatever differs. *moved: its key is another now, and is left in
 * writer->key. Nothing is written unless *outcome is TXN_DONE. */
enum err writer__update(struct task *task, struct writer *writer, const struct datum *old,
    const struct datum *new, struct slice key, struct txn_version version, struct txn_row *latest,
    enum txn_outcome *outcome, bool *moved);

/* Judges again a row that someone else changed: its newest version goes into the registers of
 * `relation`, whose old values are kept in *kept for exec__unjudge. The bytes of `latest` must
 * outlive that. */
struct kept_registers {
    struct datum *values; /* NULL: nothing to put back */
    const struct plan_relation *relation;
    struct txn_version version;
};
enum err exec__rejudge(struct exec *x, const struct plan_relation *relation,
    const struct txn_row *latest, const struct code *recheck, struct arena *arena,
    struct kept_registers *kept, bool *passes);
void exec__unjudge(struct exec *x, struct kept_registers *kept);

size_t exec__aggregate_state_size(const struct aggregate_code *code);

/* ---- analyze.c ------------------------------------------------------------------------------- */

typedef void exec__visit_expr(void *arg, const struct expr *expr);
typedef void exec__visit_reg(void *arg, reg_t reg, oid_t type);

/* The node's own expressions; not those of children or subplans. */
void exec__visit_exprs(const struct plan_node *node, exec__visit_expr *visit, void *arg);
/* The registers the node itself fills. */
void exec__visit_fills(const struct plan_node *node, exec__visit_reg *visit, void *arg);
/* The registers the node reads other than by expressions. */
void exec__visit_reads(const struct plan_node *node, exec__visit_reg *visit, void *arg);
static inline bool
exec__has_list(const struct expr *expr)
{
    return expr->kind != EXPR_CONST && expr->kind != EXPR_PARAM && expr->kind != EXPR_REGISTER;
}

/* ---- filter.c ------------------------------------------------------------------------------- */

/* The simple conditions of a scan of its table's tree, for txn_scan_set_filter; NULL: none. */
struct txn_filter *exec__row_filter(struct exec *x, const struct plan_node *plan);

#endif /* SQL_EXEC_EXEC_INTERNAL_H */
