/*
 * Plans made by hand over VALUES: every join method and kind, both aggregations, sorting, DISTINCT,
 * set operations, restarts, against what plain loops in C find. Also operators that the planner
 * does not choose (merge joins, sorted aggregation, SEMI and ANTI).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "sql/exec/exec.h"
#include "tests/unit/world_run.h"

#define OK(call)                                                                   \
    do {                                                                           \
        enum err ok_err = (call);                                                  \
        if (ok_err != ERR_OK) {                                                    \
            (void)fprintf(stderr, "%s:%d: %s: %s %s\n", __FILE__, __LINE__, #call, \
                err_sqlstate(ok_err), f->diag.message);                            \
            abort();                                                               \
        }                                                                          \
    } while (0)

enum {
    ROWS_MAX = 60,
    NONE = -1000, /* stands for null */
};

struct fixture {
    struct task *task;
    struct arena arena;
    struct eval_env env;
    struct diag diag;
    uint64_t random;
    reg_t next_reg;
    uint64_t memory_max;
    const char *directory;
};

static uint32_t
draw(struct fixture *f, uint32_t below)
{
    f->random = hash_u64(f->random + 0x9e3779b97f4a7c15ULL);
    return (uint32_t)(f->random >> 33) % below;
}

/* ---- building
 * ---------------------------------------------------------------------------------------- */

static struct expr *
make_expr(struct fixture *f, enum expr_kind kind, oid_t type)
{
    struct expr *expr = arena_alloc(&f->arena, sizeof *expr);
    expr->kind = kind;
    expr->type = type;
    expr->typmod = -1;
    return expr;
}

static struct expr *
constant(struct fixture *f, oid_t type, struct datum value)
{
    struct expr *expr = make_expr(f, EXPR_CONST, type);
    expr->constant = value;
    return expr;
}

static struct expr *
reg(struct fixture *f, reg_t number, oid_t type)
{
    struct expr *expr = make_expr(f, EXPR_REGISTER, type);
    expr->reg = number;
    return expr;
}

static struct expr *
call(struct fixture *f, const char *op, struct expr *a, struct expr *b)
{
    struct expr *expr = make_expr(f, EXPR_CALL, TYPE_BOOL);
    expr->function = operator_compare_function(op, a->type);
    expr->list = arena_array(&f->arena, 2, sizeof *expr->list);
    expr->list[0] = a;
    expr->list[1] = b;
    expr->count = 2;
    return expr;
}

static struct plan_node *
node(struct fixture *f, enum plan_kind kind, struct plan_node *left, struct plan_node *right)
{
    struct plan_node *made = arena_alloc(&f->arena, sizeof *made);
    made->kind = kind;
    made->children[0] = left;
    made->children[1] = right;
    reg_t *live = arena_array(&f->arena, 64, sizeof *live);
    for (int i = 0; i < 2; i++) {
        for (uint32_t j = 0; made->children[i] != NULL && j < made->children[i]->live_count; j++) {
            live[made->live_count++] = made->children[i]->live[j];
        }
    }
    made->live = live;
    return made;
}

struct table {
    int k[ROWS_MAX], v[ROWS_MAX]; /* k: few values and nulls; v: unique */
    char text[ROWS_MAX][8];       /* of k: "" is null */
    uint32_t count;
    reg_t base; /* k, v, text */
};

static void
fill_table(struct fixture *f, struct table *table, int first)
{
    *table = (struct table){.count = draw(f, ROWS_MAX), .base = f->next_reg};
    f->next_reg += 3;
    for (uint32_t i = 0; i < table->count; i++) {
        table->k[i] = draw(f, 8) == 0 ? NONE : (int)draw(f, 6);
        table->v[i] = first + (int)i;
        if (draw(f, 6) != 0) {
            (void)snprintf(table->text[i], sizeof table->text[i], "t%u", draw(f, 9));
        }
    }
}

static struct datum
int_or_null(int value)
{
    return value == NONE ? datum_null() : datum_int(value);
}

static struct plan_node *
values(struct fixture *f, const struct table *table)
{
    struct plan_node *made = node(f, PLAN_VALUES, NULL, NULL);
    made->values.exprs = arena_array(&f->arena, table->count * 3 + 1, sizeof(struct expr *));
    made->values.row_count = table->count;
    made->values.column_count = 3;
    made->values.base = table->base;
    for (uint32_t i = 0; i < table->count; i++) {
        struct datum text = table->text[i][0] == 0
                                ? datum_null()
                                : datum_bytes(table->text[i], strlen(table->text[i]));
        made->values.exprs[3 * i] = constant(f, TYPE_INT4, int_or_null(table->k[i]));
        made->values.exprs[3 * i + 1] = constant(f, TYPE_INT4, datum_int(table->v[i]));
        made->values.exprs[3 * i + 2] = constant(f, TYPE_TEXT, text);
    }
    reg_t *live = arena_array(&f->arena, 3, sizeof *live);
    for (uint32_t i = 0; i < 3; i++) {
        live[i] = table->base + i;
    }
    made->live = live;
    made->live_count = 3;
    return made;
}

static struct plan_sort_key *
keys(struct fixture *f, reg_t a, oid_t a_type, reg_t b, oid_t b_type, uint32_t flags)
{
    struct plan_sort_key *made = arena_array(&f->arena, 2, sizeof *made);
    made[0] = (struct plan_sort_key){a, a_type, (flags & 1) != 0, (flags & 2) != 0};
    made[1] = (struct plan_sort_key){b, b_type, (flags & 4) != 0, (flags & 8) != 0};
    return made;
}

static struct plan_node *
sort(struct fixture *f, struct plan_node *child, struct plan_sort_key *sort_keys, uint32_t count)
{
    struct plan_node *made = node(f, PLAN_SORT, child, NULL);
    made->sort.keys = sort_keys;
    made->sort.key_count = count;
    return made;
}

/* ---- running
 * ------------------------------------------------------------------------------------------- */

/* The result's rows as text lines, in order. */
static enum err
run(struct fixture *f, struct plan_node *root, const reg_t *shown, const oid_t *types,
    uint32_t count, struct buffer *lines)
{
    struct plan_node *project = node(f, PLAN_PROJECT, root, NULL);
    project->project.targets = arena_array(&f->arena, count, sizeof(struct plan_target));
    project->project.count = count;
    for (uint32_t i = 0; i < count; i++) {
        project->project.targets[i].expr = reg(f, shown[i], types[i]);
        project->project.targets[i].reg = f->next_reg + i;
    }
    struct plan plan = {.statement = STATEMENT_SELECT,
        .root = project,
        .register_count = f->next_reg + count,
        .returns_rows = true,
        .result_base = f->next_reg,
        .column_count = count};
    struct exec_program *program = NULL;
    struct arena arena;
    arena_create(&arena, "portal");
    OK(exec_compile(&f->arena, &plan, &program, &f->diag));
    /* Half of them in memory. */
    static const uint64_t sizes[] = {0, 600, 2500, 1 << 28, 1 << 28, 1 << 28};
    uint64_t work_mem = sizes[f->memory_max < 1 << 28 ? 5 : draw(f, 6)];
    struct spill_space space = {.directory = f->directory, .limit = UINT64_MAX};
    struct exec_context context = {.env = &f->env,
        .arena = &arena,
        .work_mem = work_mem,
        .hash_mem = work_mem,
        .memory_max = f->memory_max,
        .spill_space = &space,
        .count = draw(f, 2) == 0,
        .diag = &f->diag};
    struct exec *exec = NULL;
    OK(exec_open(f->task, program, &context, &exec));
    enum err err = ERR_OK;
    for (;;) {
        const struct datum *row = NULL;
        err = exec_next(f->task, exec, &row);
        if (err != ERR_OK || row == NULL) {
            break;
        }
        for (uint32_t i = 0; i < count; i++) {
            buffer_add_u8(lines, i == 0 ? ' ' : ',');
            if (!row[i].null) {
                type_output(&f->env, types[i], row[i], lines);
            }
        }
        buffer_add_u8(lines, '\n');
    }
    exec_close(f->task, exec);
    ASSERT(space.used == 0);
    arena_destroy(&arena);
    return err;
}

static int
by_line(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Lines sorted, for results whose order is free. */
static char *
sorted_lines(struct fixture *f, const struct buffer *lines)
{
    char *text = arena_strndup(&f->arena, (const char *)lines->data, lines->size);
    char **list = arena_array(&f->arena, lines->size + 1, sizeof *list);
    size_t count = 0;
    for (char *at = text; *at != 0;) {
        list[count++] = at;
        at = strchr(at, '\n');
        *at++ = 0;
    }
    qsort(list, count, sizeof *list, by_line);
    char *result = arena_alloc(&f->arena, lines->size + 1);
    for (size_t i = 0; i < count; i++) {
        (void)strncat(result, list[i], lines->size);
        (void)strncat(result, "\n", lines->size);
    }
    return result;
}

static void
expect_same(
    struct fixture *f, const char *what, struct buffer *got, struct buffer *wanted, bool ordered)
{
    char *a = ordered ? arena_strndup(&f->arena, (const char *)got->data, got->size)
                      : sorted_lines(f, got);
    char *b = ordered ? arena_strndup(&f->arena, (const char *)wanted->data, wanted->size)
                      : sorted_lines(f, wanted);
    if (strcmp(a, b) != 0) {
        (void)fprintf(stderr, "%s\n  got:\n%s  wanted:\n%s", what, a, b);
        abort();
    }
    got->size = 0;
}

static void
put(struct buffer *lines, int a, int b)
{
    buffer_printf(lines, a == NONE ? " " : " %d", a);
    buffer_printf(lines, b == NONE ? ",\n" : ",%d\n", b);
}

/* ---- joins
 * --------------------------------------------------------------------------------------------- */

/* left.k = right.k and left.v < right.v, or (loops) the same as one condition. */
static void
join_by_hand(
    const struct table *left, const struct table *right, enum join_kind kind, struct buffer *lines)
{
    bool right_met[ROWS_MAX] = {false};
    for (uint32_t i = 0; i < left->count; i++) {
        bool met = false;
        for (uint32_t j = 0; j < right->count; j++) {
            if (left->k[i] == NONE || left->k[i] != right->k[j] || left->v[i] >= right->v[j]) {
                continue;
            }
            right_met[j] = true;
            if (kind == JOIN_INNER || kind == JOIN_LEFT || kind == JOIN_FULL ||
                (kind == JOIN_SEMI && !met)) {
                put(lines, left->v[i], kind == JOIN_SEMI ? NONE : right->v[j]);
            }
            met = true;
        }
        if (!met && (kind == JOIN_LEFT || kind == JOIN_FULL || kind == JOIN_ANTI)) {
            put(lines, left->v[i], NONE);
        }
    }
    for (uint32_t j = 0; j < right->count && kind == JOIN_FULL; j++) {
        if (!right_met[j]) {
            put(lines, NONE, right->v[j]);
        }
    }
}

static void
add_keys(
    struct fixture *f, struct plan_node *join, const struct table *left, const struct table *right)
{
    join->join.outer_keys = arena_array(&f->arena, 1, sizeof(struct expr *));
    join->join.inner_keys = arena_array(&f->arena, 1, sizeof(struct expr *));
    join->join.outer_keys[0] = reg(f, left->base, TYPE_INT4);
    join->join.inner_keys[0] = reg(f, right->base, TYPE_INT4);
    join->join.key_count = 1;
}

static struct plan_node *
make_join(struct fixture *f, enum plan_kind method, enum join_kind kind, struct table *left,
    struct table *right)
{
    struct plan_node *outer = values(f, left);
    struct plan_node *inner = values(f, right);
    if (method == PLAN_MERGE_JOIN) {
        outer = sort(
            f, outer, keys(f, left->base, TYPE_INT4, left->base + 1, TYPE_INT4, draw(f, 2) * 4), 2);
        inner = sort(f, inner,
            keys(f, right->base, TYPE_INT4, right->base + 1, TYPE_INT4, draw(f, 2) * 4), 2);
    }
    if (method == PLAN_NEST_LOOP && (kind == JOIN_FULL || draw(f, 2) == 0)) {
        inner = node(f, PLAN_MATERIALIZE, inner, NULL);
    }
    struct plan_node *join = node(f, method, outer, inner);
    join->join.kind = kind;
    join->join.condition = arena_array(&f->arena, 2, sizeof(struct expr *));
    join->join.condition[join->join.condition_count++] =
        call(f, "<", reg(f, left->base + 1, TYPE_INT4), reg(f, right->base + 1, TYPE_INT4));
    if (method == PLAN_NEST_LOOP) {
        join->join.condition[join->join.condition_count++] =
            call(f, "=", reg(f, left->base, TYPE_INT4), reg(f, right->base, TYPE_INT4));
    } else {
        add_keys(f, join, left, right);
    }
    return join;
}

static void
test_joins(struct fixture *f)
{
    static const enum plan_kind methods[] = {PLAN_NEST_LOOP, PLAN_HASH_JOIN, PLAN_MERGE_JOIN};
    for (int kind = JOIN_INNER; kind <= JOIN_ANTI; kind++) {
        struct table left;
        struct table right;
        fill_table(f, &left, 0);
        fill_table(f, &right, -5 + (int)draw(f, 10));
        struct buffer wanted = {0};
        struct buffer got = {0};
        join_by_hand(&left, &right, (enum join_kind)kind, &wanted);
        for (int m = 0; m < 3; m++) {
            if (methods[m] == PLAN_MERGE_JOIN && kind == JOIN_FULL) {
                continue;
            }
            struct plan_node *join = make_join(f, methods[m], (enum join_kind)kind, &left, &right);
            bool both = kind != JOIN_SEMI && kind != JOIN_ANTI;
            reg_t shown[2] = {left.base + 1, right.base + 1};
            const oid_t types[2] = {TYPE_INT4, TYPE_INT4};
            if (!both) {
                shown[1] = f->next_reg++; /* never filled: null, as the other side has no row */
                struct plan_node *null = node(f, PLAN_PROJECT, join, NULL);
                null->project.targets = arena_array(&f->arena, 1, sizeof(struct plan_target));
                null->project.targets[0].expr = constant(f, TYPE_INT4, datum_null());
                null->project.targets[0].reg = shown[1];
                null->project.count = 1;
                join = null;
            }
            OK(run(f, join, shown, types, 2, &got));
            char what[64];
            (void)snprintf(what, sizeof what, "join method %d kind %d", m, kind);
            expect_same(f, what, &got, &wanted, false);
        }
        buffer_destroy(&wanted);
        buffer_destroy(&got);
    }
}

/* E7: for each row of `left`, a join of `middle` with a kept side that reads left.k. */
static void
test_restarts(struct fixture *f, enum plan_kind method)
{
    struct table left;
    struct table middle;
    struct table right;
    fill_table(f, &left, 0);
    fill_table(f, &middle, 100);
    fill_table(f, &right, 200);
    left.count = left.count > 12 ? 12 : left.count;
    struct plan_node *inner = values(f, &right);
    inner->filter = arena_array(&f->arena, 1, sizeof(struct expr *));
    inner->filter[0] = call(f, "=", reg(f, right.base, TYPE_INT4), reg(f, left.base, TYPE_INT4));
    inner->filter_count = 1;
    if (method == PLAN_NEST_LOOP) {
        inner = node(f, PLAN_MATERIALIZE, inner, NULL);
    }
    struct plan_node *join = node(f, method, values(f, &middle), inner);
    join->join.kind = JOIN_INNER;
    if (method == PLAN_NEST_LOOP) {
        join->join.condition = arena_array(&f->arena, 1, sizeof(struct expr *));
        join->join.condition[0] =
            call(f, "=", reg(f, middle.base, TYPE_INT4), reg(f, right.base, TYPE_INT4));
        join->join.condition_count = 1;
    } else {
        add_keys(f, join, &middle, &right);
    }
    struct plan_node *top = node(f, PLAN_NEST_LOOP, values(f, &left), join);
    top->join.kind = JOIN_INNER;
    struct buffer wanted = {0};
    struct buffer got = {0};
    for (uint32_t i = 0; i < left.count; i++) {
        for (uint32_t j = 0; j < middle.count; j++) {
            for (uint32_t k = 0; k < right.count; k++) {
                if (left.k[i] != NONE && left.k[i] == right.k[k] && middle.k[j] == right.k[k]) {
                    put(&wanted, left.v[i] * 1000 + middle.v[j], right.v[k]);
                }
            }
        }
    }
    /* The first number of a line is made of two: shown as columns, then put together. */
    const reg_t shown[3] = {left.base + 1, middle.base + 1, right.base + 1};
    const oid_t types[3] = {TYPE_INT4, TYPE_INT4, TYPE_INT4};
    struct buffer three = {0};
    OK(run(f, top, shown, types, 3, &three));
    buffer_add_u8(&three, 0);
    int a = 0;
    int b = 0;
    int c = 0;
    int used = 0;
    const char *at = (const char *)three.data;
    while (sscanf(at, " %d,%d,%d\n%n", &a, &b, &c, &used) == 3) {
        put(&got, a * 1000 + b, c);
        at += used;
    }
    expect_same(f, "restart", &got, &wanted, false);
    buffer_destroy(&three);
    buffer_destroy(&got);
    buffer_destroy(&wanted);
}

/* ---- aggregation
 * --------------------------------------------------------------------------------------- */

static const struct function *
aggregate_function(const char *name, oid_t arg)
{
    size_t count = 0;
    const struct function *at = function_by_name(name, &count);
    for (size_t i = 0; i < count; i++) {
        if (at[i].arg_count == 0 ? arg == 0 : at[i].args[0] == arg || at[i].args[0] == TYPE_ANY) {
            return &at[i];
        }
    }
    abort();
}

static struct plan_aggregate
aggregate(struct fixture *f, const char *name, reg_t arg, oid_t type)
{
    struct plan_aggregate made = {.function = aggregate_function(name, type)};
    if (type != 0) {
        made.args = arena_array(&f->arena, 2, sizeof(struct expr *));
        made.args[0] = reg(f, arg, type);
        made.arg_count = 1;
    }
    made.result = f->next_reg++;
    return made;
}

static struct plan_node *
make_aggregate(struct fixture *f, struct plan_node *child, const struct table *table, bool sorted,
    reg_t *shown)
{
    struct plan_node *made = node(f, PLAN_AGGREGATE, child, NULL);
    struct plan_target *group = arena_array(&f->arena, 1, sizeof *group);
    *group = (struct plan_target){reg(f, table->base + 2, TYPE_TEXT), f->next_reg++};
    struct plan_aggregate *list = arena_array(&f->arena, 5, sizeof *list);
    list[0] = aggregate(f, "count", 0, 0);
    list[1] = aggregate(f, "sum", table->base, TYPE_INT4);
    list[2] = aggregate(f, "count", table->base, TYPE_INT4);
    list[2].distinct = true;
    list[3] = aggregate(f, "max", table->base + 1, TYPE_INT4);
    list[3].filter =
        call(f, "<", reg(f, table->base, TYPE_INT4), constant(f, TYPE_INT4, datum_int(3)));
    list[4] = aggregate(f, "string_agg", table->base + 2, TYPE_TEXT);
    list[4].args[1] = constant(f, TYPE_TEXT, datum_bytes(";", 1));
    list[4].arg_count = 2;
    list[4].order = keys(f, f->next_reg, TYPE_INT4, 0, 0, 1);
    list[4].order_targets = arena_array(&f->arena, 1, sizeof(struct plan_target));
    list[4].order_targets[0] =
        (struct plan_target){reg(f, table->base + 1, TYPE_INT4), f->next_reg++};
    list[4].order_count = 1;
    made->aggregate.groups = group;
    made->aggregate.group_count = 1;
    made->aggregate.aggregates = list;
    made->aggregate.aggregate_count = 5;
    made->aggregate.sorted = sorted;
    shown[0] = group->reg;
    for (int i = 0; i < 5; i++) {
        shown[i + 1] = list[i].result;
    }
    return made;
}

static void
aggregate_by_hand(const struct table *table, struct buffer *lines)
{
    for (uint32_t i = 0; i < table->count; i++) {
        int count = 0;
        int sum = 0;
        int max = NONE;
        bool any = false;
        bool first = true;
        bool seen[8] = {false};
        int distinct = 0;
        for (uint32_t j = 0; j < table->count; j++) {
            if (strcmp(table->text[i], table->text[j]) != 0) {
                continue;
            }
            first = first && j >= i;
            count++;
            if (table->k[j] != NONE) {
                any = true;
                sum += table->k[j];
                distinct += seen[table->k[j]] ? 0 : 1;
                seen[table->k[j]] = true;
                max = table->k[j] < 3 && table->v[j] > max ? table->v[j] : max;
            }
        }
        if (!first) {
            continue;
        }
        buffer_printf(lines, " %s,%d,", table->text[i], count);
        if (any) {
            buffer_printf(lines, "%d", sum);
        }
        buffer_printf(lines, ",%d,", distinct);
        buffer_printf(lines, max == NONE ? "," : "%d,", max);
        for (int j = 0; j < count && table->text[i][0] != 0; j++) {
            buffer_printf(lines, "%s%s", j == 0 ? "" : ";", table->text[i]);
        }
        buffer_add_u8(lines, '\n');
    }
}

static void
test_aggregates(struct fixture *f)
{
    struct table table;
    fill_table(f, &table, 0);
    struct buffer wanted = {0};
    struct buffer got = {0};
    aggregate_by_hand(&table, &wanted);
    const oid_t types[6] = {TYPE_TEXT, TYPE_INT8, TYPE_INT8, TYPE_INT8, TYPE_INT4, TYPE_TEXT};
    reg_t shown[6];
    struct plan_node *hashed = make_aggregate(f, values(f, &table), &table, false, shown);
    OK(run(f, hashed, shown, types, 6, &got));
    expect_same(f, "hashed aggregation", &got, &wanted, false);
    struct plan_node *input =
        sort(f, values(f, &table), keys(f, table.base + 2, TYPE_TEXT, 0, 0, draw(f, 4)), 1);
    struct plan_node *sorted = make_aggregate(f, input, &table, true, shown);
    OK(run(f, sorted, shown, types, 6, &got));
    expect_same(f, "sorted aggregation", &got, &wanted, false);
    buffer_destroy(&wanted);
    buffer_destroy(&got);
}

/* ---- order
 * --------------------------------------------------------------------------------------------- */

static int
compare_by_hand(const struct table *table, uint32_t a, uint32_t b, uint32_t flags)
{
    const char *x = table->text[a];
    const char *y = table->text[b];
    int order = strcmp(x, y);
    if (order != 0) {
        if (x[0] == 0 || y[0] == 0) {
            return (x[0] == 0) == ((flags & 2) != 0) ? -1 : 1;
        }
        return (flags & 1) != 0 ? -order : order;
    }
    int i = table->k[a];
    int j = table->k[b];
    if (i == j) {
        return 0;
    }
    if (i == NONE || j == NONE) {
        return (i == NONE) == ((flags & 8) != 0) ? -1 : 1;
    }
    return ((flags & 4) != 0 ? i > j : i < j) ? -1 : 1;
}

static void
test_sort(struct fixture *f)
{
    struct table table;
    fill_table(f, &table, 0);
    uint32_t flags = draw(f, 16);
    uint32_t order[ROWS_MAX];
    for (uint32_t i = 0; i < table.count; i++) {
        uint32_t at = i;
        while (at > 0 && compare_by_hand(&table, i, order[at - 1], flags) < 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    const reg_t shown[2] = {table.base, table.base + 1};
    const oid_t types[2] = {TYPE_INT4, TYPE_INT4};
    struct buffer wanted = {0};
    struct buffer got = {0};
    uint32_t bound = draw(f, 2) == 0 ? UINT32_MAX : 1 + draw(f, 10);
    struct plan_node *sorted = sort(
        f, values(f, &table), keys(f, table.base + 2, TYPE_TEXT, table.base, TYPE_INT4, flags), 2);
    struct plan_node *top = sorted;
    if (bound != UINT32_MAX) {
        struct expr *count = constant(f, TYPE_INT8, datum_int(bound));
        sorted->sort.bound = count;
        top = node(f, PLAN_LIMIT, sorted, NULL);
        top->limit.count = count;
    }
    for (uint32_t i = 0; i < table.count && i < bound; i++) {
        put(&wanted, table.k[order[i]], table.v[order[i]]);
    }
    OK(run(f, top, shown, types, 2, &got));
    expect_same(f, "sort", &got, &wanted, true);
    buffer_destroy(&wanted);
    buffer_destroy(&got);
}

/* A bounded sort of many rows cuts several times and keeps little. */
static void
test_large_sort(struct fixture *f)
{
    struct plan_node *series = node(f, PLAN_FUNCTION, NULL, NULL);
    struct plan_call call = {.function = aggregate_function("generate_series", TYPE_INT4)};
    series->function.args = arena_array(&f->arena, 2, sizeof(struct expr *));
    series->function.args[0] = constant(f, TYPE_INT4, datum_int(1));
    series->function.args[1] = constant(f, TYPE_INT4, datum_int(200000));
    series->function.arg_count = 2;
    call.arg_count = 2;
    call.result = f->next_reg;
    series->function.calls = &call;
    series->function.call_count = 1;
    reg_t live[1] = {f->next_reg++};
    series->live = live;
    series->live_count = 1;
    struct plan_node *sorted = sort(f, series, keys(f, live[0], TYPE_INT4, 0, 0, 1), 1);
    struct plan_node *top = node(f, PLAN_LIMIT, sorted, NULL);
    top->limit.count = constant(f, TYPE_INT8, datum_int(3));
    const oid_t types[1] = {TYPE_INT4};
    struct buffer wanted = {0};
    struct buffer got = {0};
    uint64_t before = f->memory_max;
    f->memory_max = 1 << 20;
    ASSERT(run(f, top, live, types, 1, &got) == ERR_LIMIT);
    ASSERT(f->diag.hint[0] != 0);
    got.size = 0;
    sorted->sort.bound = top->limit.count;
    OK(run(f, top, live, types, 1, &got));
    buffer_add_text(&wanted, " 200000\n 199999\n 199998\n");
    expect_same(f, "bounded sort", &got, &wanted, true);
    f->memory_max = before;
    buffer_destroy(&wanted);
    buffer_destroy(&got);
}

/* ---- sets
 * --------------------------------------------------------------------------------------------- */

static int
count_k(const struct table *table, int k)
{
    int count = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        count += table->k[i] == k ? 1 : 0;
    }
    return count;
}

static void
test_sets(struct fixture *f)
{
    struct table left;
    struct table right;
    fill_table(f, &left, 0);
    fill_table(f, &right, 0);
    const oid_t types[1] = {TYPE_INT4};
    for (int kind = SET_UNION; kind <= SET_EXCEPT; kind++) {
        for (int all = 0; all < 2; all++) {
            struct plan_node *made = node(f, PLAN_SET, values(f, &left), values(f, &right));
            made->set.kind = (enum plan_set_kind)kind;
            made->set.all = all == 1;
            made->set.inputs[0] = &left.base;
            made->set.inputs[1] = &right.base;
            made->set.base = f->next_reg++;
            made->set.types = types;
            made->set.column_count = 1;
            struct buffer wanted = {0};
            struct buffer got = {0};
            for (int i = -1; i < 6; i++) {
                int k = i < 0 ? NONE : i;
                int a = count_k(&left, k);
                int b = count_k(&right, k);
                int times = kind == SET_UNION       ? a + b
                            : kind == SET_INTERSECT ? (a < b ? a : b)
                            : all == 1              ? a - b
                                                    : (b == 0 ? a : 0);
                times = all == 0 && times > 1 ? 1 : times;
                for (int j = 0; j < times; j++) {
                    buffer_printf(&wanted, k == NONE ? " \n" : " %d\n", k);
                }
            }
            const reg_t shown[1] = {made->set.base};
            OK(run(f, made, shown, types, 1, &got));
            char what[64];
            (void)snprintf(what, sizeof what, "set %d all %d", kind, all);
            expect_same(f, what, &got, &wanted, false);
            buffer_destroy(&wanted);
            buffer_destroy(&got);
        }
    }
}

static void
test_distinct(struct fixture *f)
{
    struct table table;
    fill_table(f, &table, 0);
    const oid_t types[1] = {TYPE_INT4};
    struct buffer wanted = {0};
    struct buffer got = {0};
    for (int i = -1; i < 6; i++) {
        int k = i < 0 ? NONE : i;
        if (count_k(&table, k) > 0) {
            buffer_printf(&wanted, k == NONE ? " \n" : " %d\n", k);
        }
    }
    for (int sorted = 0; sorted < 2; sorted++) {
        struct plan_node *input = values(f, &table);
        if (sorted == 1) {
            input = sort(f, input, keys(f, table.base, TYPE_INT4, 0, 0, draw(f, 4)), 1);
        }
        struct plan_node *made = node(f, PLAN_DISTINCT, input, NULL);
        made->distinct.keys = keys(f, table.base, TYPE_INT4, 0, 0, 0);
        made->distinct.key_count = 1;
        made->distinct.sorted = sorted == 1;
        OK(run(f, made, &table.base, types, 1, &got));
        expect_same(f, "distinct", &got, &wanted, false);
    }
    buffer_destroy(&wanted);
    buffer_destroy(&got);
}

/* ---- expressions
 * ----------------------------------------------------------------------------------------- */

/* Three-valued logic, by exec_evaluate. */
static void
test_logic(struct fixture *f)
{
    const int truth[3] = {0, 1, NONE};
    struct eval eval = {.task = f->task, .arena = &f->arena, .diag = &f->diag, .env = &f->env};
    for (int i = 0; i < 9; i++) {
        int a = truth[i / 3];
        int b = truth[i % 3];
        struct datum registers[2] = {int_or_null(a), int_or_null(b)};
        struct expr *both[2] = {reg(f, 0, TYPE_BOOL), reg(f, 1, TYPE_BOOL)};
        struct expr *and = make_expr(f, EXPR_AND, TYPE_BOOL);
        and->list = both;
        and->count = 2;
        struct expr * or = make_expr(f, EXPR_OR, TYPE_BOOL);
        or->list = both;
        or->count = 2;
        struct expr *distinct = call(f, "=", both[0], both[1]);
        distinct->kind = EXPR_DISTINCT_FROM;
        struct datum value;
        OK(exec_evaluate(&eval, and, registers, NULL, &value));
        int wanted = a == 0 || b == 0 ? 0 : a == NONE || b == NONE ? NONE : 1;
        ASSERT(value.null ? wanted == NONE : value.i == wanted);
        OK(exec_evaluate(&eval, or, registers, NULL, &value));
        wanted = a == 1 || b == 1 ? 1 : a == NONE || b == NONE ? NONE : 0;
        ASSERT(value.null ? wanted == NONE : value.i == wanted);
        OK(exec_evaluate(&eval, distinct, registers, NULL, &value));
        ASSERT(!value.null && value.i == (a != b));
    }
}

/* An expression nested without end is an error, not a crash. */
static void
test_depth(struct fixture *f)
{
    struct expr *deep = constant(f, TYPE_BOOL, datum_bool(true));
    for (int i = 0; i < 100000; i++) {
        struct expr *not = make_expr(f, EXPR_NOT, TYPE_BOOL);
        not ->list = arena_array(&f->arena, 1, sizeof(struct expr *));
        not ->list[0] = deep;
        not ->count = 1;
        deep = not ;
    }
    struct eval eval = {.task = f->task, .arena = &f->arena, .diag = &f->diag, .env = &f->env};
    struct datum value;
    ASSERT(exec_evaluate(&eval, deep, NULL, NULL, &value) == ERR_STATEMENT_TOO_COMPLEX);
}

static void
test_main(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    ASSERT(world_temp_directory(task, "tmp", &diag) == ERR_OK);
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct fixture f = {
            .task = task, .random = seed, .memory_max = 1 << 28, .directory = "tmp"};
        f.env.world = task_world(task);
        f.env.time_zone = "UTC";
        arena_create(&f.arena, "test");
        diag_clear(&f.diag);
        test_joins(&f);
        test_restarts(&f, PLAN_NEST_LOOP);
        test_restarts(&f, PLAN_HASH_JOIN);
        test_aggregates(&f);
        test_sort(&f);
        test_sets(&f);
        test_distinct(&f);
        if (seed == 1) {
            f.directory = NULL;
            test_large_sort(&f);
            test_logic(&f);
            test_depth(&f);
        }
        arena_destroy(&f.arena);
    }
}

int
main(void)
{
    (void)run_sim(1, test_main, NULL);
    return 0;
}
