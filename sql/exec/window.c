/*
 * sql/exec/window.c - window functions over the rows of one partition after the other.
 *
 * The rows come sorted by the keys of PARTITION BY and ORDER BY. Those of a partition go into a
 * store; then each is given again with the functions' results beside it. Whatever looks at other
 * rows reads them by number, through a cursor of its own that moves forwards with the current row:
 * so a partition that does not fit into memory is read a few times, and never for each row.
 *
 * An aggregate keeps its state while its frame only grows at its end. Rows that leave it at its
 * beginning are taken out of the state again, where that is exact (counts, sums and averages but of
 * floating point), and the frame has not moved too far; else it begins anew.
 */
#include "sql/exec/exec_internal.h"

/* Up to three runs of rows: what EXCLUDE leaves of a frame. */
struct frame {
    uint64_t from[3], to[3];
    uint32_t count;
};

/* Walks forwards over the partition and counts groups of peers. */
struct walker {
    struct store_cursor here, there;
    uint64_t at;
    int64_t group; /* that row `at` is in */
};

struct window_call_state {
    struct store_cursor cursor, leaving;
    struct arena memory; /* of the aggregate's state */
    struct arena result;
    void *state;
    struct frame frame; /* what is added up */
    bool begun;
    struct datum value;
};

struct window_state {
    struct node node;
    struct store store;
    struct arena keys[2]; /* the first row of this partition, and of the next one */
    int keys_at;
    struct datum *first, *next_first;
    struct store_cursor current, peer;
    struct walker edges[2]; /* the frame's start and end */
    struct window_call_state *calls;
    uint64_t position; /* of the next row to be given */
    uint64_t group_start, group_end;
    int64_t group;
    uint64_t head, tail; /* the frame before EXCLUDE */
    int64_t offsets[2];
    size_t held;
    bool begun, loaded, ended, child_ended;
    bool uses_frame, uses_peers;
};

/* ---- before the first row -------------------------------------------------------------------- */

static bool
calls_use_frame(const struct plan_node *plan)
{
    for (uint32_t i = 0; i < plan->window.call_count; i++) {
        enum window_function kind = plan->window.calls[i].kind;
        if (kind == WINDOW_AGGREGATE || kind >= WINDOW_FIRST_VALUE) {
            return true;
        }
    }
    return false;
}

static bool
calls_use_peers(const struct plan_node *plan)
{
    for (uint32_t i = 0; i < plan->window.call_count; i++) {
        enum window_function kind = plan->window.calls[i].kind;
        if (kind >= WINDOW_RANK && kind <= WINDOW_CUME_DIST) {
            return true;
        }
    }
    return false;
}

static enum err
window_start(struct task *task, struct exec *x, struct node *node)
{
    struct window_state *state = (struct window_state *)(void *)node;
    const struct plan_node *plan = node->code->plan;
    if (!state->begun) {
        state->begun = true;
        store_create(&state->store, &x->spill, row_form_of(&node->code->saved));
        state->calls =
            arena_array(x->context.arena, plan->window.call_count + 1, sizeof *state->calls);
        state->uses_frame = calls_use_frame(plan);
        state->uses_peers = calls_use_peers(plan) ||
                            (state->uses_frame && (plan->window.frame.unit != AST_FRAME_ROWS ||
                                                      plan->window.frame.exclusion != 0));
    }
    state->first = NULL;
    state->next_first = NULL;
    state->loaded = false;
    state->ended = false;
    state->child_ended = false;
    return exec__start(task, x, node->children[0]);
}

/* The values of the frame's offsets: once, before the first row. */
static enum err
read_offsets(struct exec *x, struct window_state *state)
{
    const struct node_code *code = state->node.code;
    const struct plan_frame *frame = &code->plan->window.frame;
    static const char *const names[2] = {"starting", "ending"};
    for (int side = 0; side < 2; side++) {
        if (frame->offsets[side] == NULL) {
            continue;
        }
        /* In the execution's memory: it must outlive every row. */
        TRY(exec__evaluate_code(x, &code->window.offsets[side], x->context.arena));
        struct datum value = x->machine.frame[code->window.offsets[side].result];
        if (value.null) {
            return diag_set(
                x->context.diag, ERR_NULL_VALUE, "frame %s offset must not be null", names[side]);
        }
        if (frame->unit == AST_FRAME_RANGE) {
            struct datum zero;
            struct eval eval = x->machine.eval;
            eval.arena = &x->temp;
            TRY(type_input(&eval, frame->offset_types[side], -1, slice_of("0", 1), &zero));
            bool negative = datum_compare(frame->offset_types[side], value, zero) < 0;
            bool nan = frame->offset_types[side] == TYPE_FLOAT8 && value.f != value.f;
            if (negative || nan) {
                return diag_set(x->context.diag, ERR_FRAME_OFFSET,
                    "invalid preceding or following size in window function");
            }
        } else if (value.i < 0) {
            return diag_set(x->context.diag, ERR_FRAME_OFFSET,
                "frame %s offset must not be negative", names[side]);
        }
        state->offsets[side] = value.i;
        x->machine.frame[frame->offset_regs[side]] = value;
    }
    return ERR_OK;
}

/* ---- a partition ----------------------------------------------------------------------------- */

static void
clear_call(struct window_call_state *call)
{
    store_cursor_clear(&call->cursor);
    store_cursor_clear(&call->leaving);
    arena_reset(&call->memory);
    arena_reset(&call->result);
    call->begun = false;
}

static void
clear_partition(struct task *task, struct window_state *state)
{
    store_cursor_clear(&state->current);
    store_cursor_clear(&state->peer);
    for (int side = 0; side < 2; side++) {
        store_cursor_clear(&state->edges[side].here);
        store_cursor_clear(&state->edges[side].there);
        state->edges[side].at = 0;
        state->edges[side].group = 0;
    }
    for (uint32_t i = 0; i < state->node.code->plan->window.call_count; i++) {
        clear_call(&state->calls[i]);
    }
    store_clear(task, &state->store);
    state->position = 0;
    state->group_start = 0;
    state->group_end = 0;
    state->group = -1;
    state->head = 0;
    state->tail = 0;
}

/* Does the row in the frame belong to the partition that began with `first`? */
static bool
belongs(const struct exec *x, const struct window_state *state)
{
    const struct node_code *code = state->node.code;
    for (uint32_t i = 0; i < code->plan->window.partition_count; i++) {
        const struct key_code *key = &code->window.keys[i];
        if (exec__compare_key(key, &x->machine.frame[code->saved.regs[key->slot]],
                &state->first[key->slot]) != 0) {
            return false;
        }
    }
    return true;
}

static enum err
load_partition(struct task *task, struct exec *x, struct window_state *state)
{
    const struct node_code *code = state->node.code;
    clear_partition(task, state);
    state->first = state->next_first;
    state->next_first = NULL;
    if (state->first != NULL) {
        TRY(store_add(task, &state->store, state->first, NULL));
    }
    while (!state->child_ended) {
        bool found = false;
        TRY(task_breathe(task, x->context.diag));
        TRY(exec__next(task, x, state->node.children[0], &found));
        if (!found) {
            state->child_ended = true;
            break;
        }
        bool another = state->first != NULL && !belongs(x, state);
        if (state->first == NULL || another) {
            state->keys_at ^= 1;
            struct arena *memory = &state->keys[state->keys_at];
            arena_reset(memory);
            struct datum *row = exec__save(memory, x->machine.frame, &code->saved);
            *(another ? &state->next_first : &state->first) = row;
        }
        if (another) {
            break;
        }
        TRY(store_add(task, &state->store, x->machine.frame, code->saved.regs));
        TRY(exec__hold(x, &state->held, store_memory(&state->store)));
    }
    state->loaded = true;
    state->ended = state->store.count == 0;
    return ERR_OK;
}

/* ---- peers and frames ------------------------------------------------------------------------ */

static bool
are_peers(const struct window_state *state, const struct datum *a, const struct datum *b)
{
    const struct node_code *code = state->node.code;
    uint32_t from = code->plan->window.partition_count;
    return exec__compare_rows(
               code->window.keys + from, code->plan->window.key_count - from, a, b) == 0;
}

/* The group of peers of the row at `position`, which is behind the last group. */
static enum err
next_group(struct task *task, struct exec *x, struct window_state *state, const struct datum *row)
{
    const struct plan_node *plan = state->node.code->plan;
    state->group_start = state->group_end;
    state->group++;
    if (plan->window.key_count == plan->window.partition_count) {
        state->group_end = state->store.count;
        return ERR_OK;
    }
    for (state->group_end++; state->group_end < state->store.count; state->group_end++) {
        const struct datum *other;
        TRY(task_breathe(task, x->context.diag));
        TRY(store_get(task, &state->store, &state->peer, state->group_end, &other));
        if (!are_peers(state, row, other)) {
            break;
        }
    }
    return ERR_OK;
}

static enum err
walker_step(struct task *task, struct window_state *state, struct walker *walker)
{
    uint64_t next = walker->at + 1;
    if (next < state->store.count) {
        const struct datum *a, *b;
        TRY(store_get(task, &state->store, &walker->here, walker->at, &a));
        TRY(store_get(task, &state->store, &walker->there, next, &b));
        walker->group += are_peers(state, a, b) ? 0 : 1;
    }
    walker->at = next;
    return ERR_OK;
}

/* GROUPS: forwards to the first row of group `target`; behind: of the one after it. */
static enum err
walk_to_group(struct task *task, struct exec *x, struct window_state *state, int side,
    int64_t target, uint64_t *at)
{
    struct walker *walker = &state->edges[side];
    while (walker->at < state->store.count &&
           (side == 0 ? walker->group < target : walker->group <= target)) {
        TRY(task_breathe(task, x->context.diag));
        TRY(walker_step(task, state, walker));
    }
    *at = walker->at;
    return ERR_OK;
}

/* How a row's key stands to the bound, in the order of the rows. */
static int
compare_to_bound(
    const struct window_state *state, const struct datum *row, const struct datum *bound)
{
    const struct node_code *code = state->node.code;
    const struct key_code *order = &code->window.keys[code->plan->window.partition_count];
    struct key_code key = {.type = code->plan->window.frame.range_type,
        .descending = order->descending,
        .nulls_first = order->nulls_first};
    return exec__compare_key(&key, &row[code->window.range_at], bound);
}

static enum err
walk_to_bound(struct task *task, struct exec *x, struct window_state *state, int side, uint64_t *at)
{
    const struct node_code *code = state->node.code;
    struct walker *walker = &state->edges[side];
    struct arena_mark mark = arena_mark(&x->temp);
    enum err err = exec__evaluate_code(x, &code->window.bounds[side], &x->temp);
    struct datum bound = datum_null();
    if (err == ERR_OK) {
        bound = x->machine.frame[code->window.bounds[side].result];
    }
    while (err == ERR_OK && walker->at < state->store.count) {
        const struct datum *row;
        err = task_breathe(task, x->context.diag);
        if (err == ERR_OK) {
            err = store_get(task, &state->store, &walker->here, walker->at, &row);
        }
        if (err == ERR_OK) {
            int order = compare_to_bound(state, row, &bound);
            if (order > 0 || (order == 0 && side == 0)) {
                break;
            }
            walker->at++;
        }
    }
    arena_rewind(&x->temp, mark);
    *at = walker->at;
    return err;
}

/* One edge of the current row's frame: side 0 its first row, side 1 behind its last one. */
static enum err
find_edge(struct task *task, struct exec *x, struct window_state *state, int side, uint64_t *at)
{
    const struct plan_frame *frame = &state->node.code->plan->window.frame;
    enum ast_frame_bound_kind kind = side == 0 ? frame->start : frame->end;
    uint64_t count = state->store.count, position = state->position;
    if (kind == AST_UNBOUNDED_PRECEDING || kind == AST_UNBOUNDED_FOLLOWING) {
        *at = kind == AST_UNBOUNDED_PRECEDING ? 0 : count;
        return ERR_OK;
    }
    bool rows = frame->unit == AST_FRAME_ROWS;
    if (kind == AST_CURRENT_ROW) {
        *at = side == 0 ? (rows ? position : state->group_start)
                        : (rows ? position + 1 : state->group_end);
        return ERR_OK;
    }
    if (frame->unit == AST_FRAME_RANGE) {
        return walk_to_bound(task, x, state, side, at);
    }
    uint64_t offset = (uint64_t)state->offsets[side];
    bool back = kind == AST_OFFSET_PRECEDING;
    if (frame->unit == AST_FRAME_GROUPS) {
        int64_t target;
        if (back) {
            target = state->group - state->offsets[side];
        } else if (__builtin_add_overflow(state->group, state->offsets[side], &target)) {
            target = INT64_MAX;
        }
        return walk_to_group(task, x, state, side, target, at);
    }
    uint64_t edge = position + (side == 1 ? 1 : 0);
    if (back) {
        *at = offset > edge ? 0 : edge - offset;
    } else {
        *at = offset > count - (edge < count ? edge : count) ? count : edge + offset;
    }
    return ERR_OK;
}

static void
frame_add(struct frame *frame, uint64_t from, uint64_t to)
{
    if (from < to) {
        frame->from[frame->count] = from;
        frame->to[frame->count++] = to;
    }
}

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The frame without what is excluded. */
static struct frame
exclude(const struct window_state *state)
{
    struct frame frame = {.count = 0};
    uint64_t head = state->head, tail = most(state->head, state->tail);
    uint64_t from = state->group_start, to = state->group_end;
    enum ast_frame_exclusion exclusion = state->node.code->plan->window.frame.exclusion;
    if (exclusion == AST_EXCLUDE_NO_OTHERS) {
        frame_add(&frame, head, tail);
        return frame;
    }
    uint64_t current = state->position;
    if (exclusion == AST_EXCLUDE_CURRENT_ROW) {
        from = current;
        to = current + 1;
    }
    frame_add(&frame, head, least(tail, from));
    if (exclusion == AST_EXCLUDE_TIES && current >= head && current < tail) {
        frame_add(&frame, current, current + 1);
    }
    frame_add(&frame, most(head, to), tail);
    return frame;
}

/* ---- functions ------------------------------------------------------------------------------- */

/* The arguments in the row; false: it does not count. */
static bool
arguments_of(const struct window_state *state, uint32_t number, const struct datum *row,
    struct datum args[FUNCTION_ARGS_MAX])
{
    const struct node_code *code = state->node.code;
    const struct plan_window_call *plan = &code->plan->window.calls[number];
    const uint32_t *places = &code->window.arg_at[number * FUNCTION_ARGS_MAX];
    bool strict = (plan->function->flags & FUNCTION_STRICT) != 0;
    for (uint32_t i = 0; i < plan->arg_count; i++) {
        args[i] = row[places[i]];
        if (strict && args[i].null) {
            return false;
        }
    }
    if (!plan->has_filter) {
        return true;
    }
    const struct datum *passes = &row[code->window.filter_at[number]];
    return !passes->null && passes->i != 0;
}

static enum err
step_rows(struct task *task, struct exec *x, struct window_state *state, uint32_t number,
    uint64_t from, uint64_t to)
{
    const struct plan_window_call *plan = &state->node.code->plan->window.calls[number];
    struct window_call_state *call = &state->calls[number];
    struct arena_mark mark = arena_mark(&x->temp);
    struct arena *before = x->machine.eval.arena;
    x->machine.eval.arena = &x->temp;
    enum err err = ERR_OK;
    for (uint64_t at = from; at < to && err == ERR_OK; at++) {
        const struct datum *row;
        err = task_breathe(task, x->context.diag);
        if (err == ERR_OK) {
            err = store_get(task, &state->store, &call->cursor, at, &row);
        }
        struct datum args[FUNCTION_ARGS_MAX];
        if (err == ERR_OK && arguments_of(state, number, row, args)) {
            err = plan->function->aggregate->step(
                &x->machine.eval, call->state, &call->memory, args, (int)plan->arg_count);
            arena_rewind(&x->temp, mark);
        }
    }
    x->machine.eval.arena = before;
    arena_rewind(&x->temp, mark);
    return err;
}

/* The rows leave the frame. *exact false: the state is worth nothing any more. */
static enum err
unstep_rows(struct task *task, struct exec *x, struct window_state *state, uint32_t number,
    uint64_t from, uint64_t to, bool *exact)
{
    aggregate_unstep *unstep =
        aggregate_inverse(state->node.code->plan->window.calls[number].function->aggregate);
    struct window_call_state *call = &state->calls[number];
    *exact = true;
    for (uint64_t at = from; at < to && *exact; at++) {
        const struct datum *row;
        struct datum args[FUNCTION_ARGS_MAX];
        TRY(task_breathe(task, x->context.diag));
        TRY(store_get(task, &state->store, &call->leaving, at, &row));
        if (arguments_of(state, number, row, args)) {
            *exact = unstep(call->state, args);
        }
    }
    return ERR_OK;
}

static bool
frames_equal(const struct frame *a, const struct frame *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->from[i] != b->from[i] || a->to[i] != b->to[i]) {
            return false;
        }
    }
    return true;
}

/* May the state go on, from one frame to the next? */
static bool
moves_on(const struct aggregate *aggregate, const struct window_call_state *call,
    const struct frame *frame)
{
    const struct frame *old = &call->frame;
    if (!call->begun || old->count != 1 || frame->count != 1 || old->to[0] > frame->to[0] ||
        old->from[0] > frame->from[0]) {
        return false;
    }
    /* Fewer rows leave than stay; none may always. */
    uint64_t leave = frame->from[0] - old->from[0];
    return leave == 0 || (aggregate_inverse(aggregate) != NULL && frame->from[0] < old->to[0] &&
                             leave <= old->to[0] - frame->from[0]);
}

static enum err
aggregate(struct task *task, struct exec *x, struct window_state *state, uint32_t number,
    const struct frame *frame)
{
    const struct plan_window_call *plan = &state->node.code->plan->window.calls[number];
    struct window_call_state *call = &state->calls[number];
    const struct aggregate *aggregate = plan->function->aggregate;
    if (call->begun && frames_equal(&call->frame, frame)) {
        return ERR_OK;
    }
    bool goes_on = moves_on(aggregate, call, frame);
    if (goes_on) {
        TRY(unstep_rows(task, x, state, number, call->frame.from[0], frame->from[0], &goes_on));
    }
    uint64_t done = goes_on ? call->frame.to[0] : 0;
    if (!goes_on) {
        arena_reset(&call->memory);
        call->state = arena_alloc(&call->memory, aggregate->state_size + 1);
    }
    call->begun = true;
    call->frame = *frame;
    for (uint32_t i = 0; i < frame->count; i++) {
        TRY(step_rows(task, x, state, number, most(done, frame->from[i]), frame->to[i]));
    }
    arena_reset(&call->result);
    struct arena *before = x->machine.eval.arena;
    struct arena_mark mark = arena_mark(&x->temp);
    x->machine.eval.arena = &x->temp;
    struct datum value = datum_null();
    enum err err = aggregate->finish(&x->machine.eval, call->state, &value);
    x->machine.eval.arena = before;
    if (err == ERR_OK) {
        call->value = value.null ? value : datum_copy(&call->result, plan->type, value);
    }
    arena_rewind(&x->temp, mark);
    return err;
}

/* Row `nth` (from 0) of a frame; false: it has fewer. */
static bool
row_of_frame(const struct frame *frame, uint64_t nth, uint64_t *at)
{
    for (uint32_t i = 0; i < frame->count; i++) {
        uint64_t size = frame->to[i] - frame->from[i];
        if (nth < size) {
            *at = frame->from[i] + nth;
            return true;
        }
        nth -= size;
    }
    return false;
}

/* The first argument at another row. */
static enum err
value_at(struct task *task, struct window_state *state, uint32_t number, uint64_t at,
    struct datum *value)
{
    const struct datum *row;
    TRY(store_get(task, &state->store, &state->calls[number].cursor, at, &row));
    *value = row[state->node.code->window.arg_at[number * FUNCTION_ARGS_MAX]];
    return ERR_OK;
}

static enum err
lag_or_lead(struct task *task, struct window_state *state, uint32_t number, const struct datum *row,
    struct datum *value)
{
    const struct plan_window_call *plan = &state->node.code->plan->window.calls[number];
    const uint32_t *places = &state->node.code->window.arg_at[number * FUNCTION_ARGS_MAX];
    int64_t offset = 1;
    *value = datum_null();
    if (plan->arg_count > 1) {
        if (row[places[1]].null) {
            return ERR_OK;
        }
        offset = row[places[1]].i;
    }
    int64_t at = (int64_t)state->position + (plan->kind == WINDOW_LAG ? -offset : offset);
    if (at >= 0 && (uint64_t)at < state->store.count) {
        return value_at(task, state, number, (uint64_t)at, value);
    }
    if (plan->arg_count > 2) {
        *value = row[places[2]];
    }
    return ERR_OK;
}

static enum err
ntile(struct task *task, struct exec *x, struct window_state *state, uint32_t number,
    struct datum *value)
{
    TRY(value_at(task, state, number, 0, value));
    if (value->null) {
        return ERR_OK;
    }
    if (value->i <= 0) {
        return diag_set(
            x->context.diag, ERR_NTILE_ARGUMENT, "argument of ntile must be greater than zero");
    }
    uint64_t buckets = (uint64_t)value->i, count = state->store.count;
    uint64_t each = count / buckets, larger = count % buckets;
    uint64_t in_larger = larger * (each + 1);
    uint64_t bucket = state->position < in_larger
                          ? state->position / (each + 1)
                          : larger + (state->position - in_larger) / (each == 0 ? 1 : each);
    *value = datum_int((int64_t)bucket + 1);
    return ERR_OK;
}

static enum err
value_of_frame(struct task *task, struct exec *x, struct window_state *state, uint32_t number,
    const struct frame *frame, const struct datum *row, struct datum *value)
{
    const struct plan_window_call *plan = &state->node.code->plan->window.calls[number];
    uint64_t total = 0, nth = 0, at;
    for (uint32_t i = 0; i < frame->count; i++) {
        total += frame->to[i] - frame->from[i];
    }
    *value = datum_null();
    if (plan->kind == WINDOW_LAST_VALUE) {
        nth = total - 1;
    } else if (plan->kind == WINDOW_NTH_VALUE) {
        struct datum which = row[state->node.code->window.arg_at[number * FUNCTION_ARGS_MAX + 1]];
        if (which.null) {
            return ERR_OK;
        }
        if (which.i <= 0) {
            return diag_set(x->context.diag, ERR_NTH_VALUE_ARGUMENT,
                "argument of nth_value must be greater than zero");
        }
        nth = (uint64_t)which.i - 1;
    }
    if (total == 0 || !row_of_frame(frame, nth, &at)) {
        return ERR_OK;
    }
    return value_at(task, state, number, at, value);
}

static enum err
call_function(struct task *task, struct exec *x, struct window_state *state, uint32_t number,
    const struct frame *frame, const struct datum *row, struct datum *value)
{
    uint64_t count = state->store.count;
    switch (state->node.code->plan->window.calls[number].kind) {
    case WINDOW_AGGREGATE:
        TRY(aggregate(task, x, state, number, frame));
        *value = state->calls[number].value;
        return ERR_OK;
    case WINDOW_ROW_NUMBER:
        *value = datum_int((int64_t)state->position + 1);
        return ERR_OK;
    case WINDOW_RANK:
        *value = datum_int((int64_t)state->group_start + 1);
        return ERR_OK;
    case WINDOW_DENSE_RANK:
        *value = datum_int(state->group + 1);
        return ERR_OK;
    case WINDOW_PERCENT_RANK:
        *value = datum_float(count <= 1 ? 0 : (double)state->group_start / (double)(count - 1));
        return ERR_OK;
    case WINDOW_CUME_DIST:
        *value = datum_float((double)state->group_end / (double)count);
        return ERR_OK;
    case WINDOW_NTILE:
        return ntile(task, x, state, number, value);
    case WINDOW_LAG:
    case WINDOW_LEAD:
        return lag_or_lead(task, state, number, row, value);
    case WINDOW_FIRST_VALUE:
    case WINDOW_LAST_VALUE:
    case WINDOW_NTH_VALUE:
        return value_of_frame(task, x, state, number, frame, row, value);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

/* ---- the node -------------------------------------------------------------------------------- */

static enum err
give_row(struct task *task, struct exec *x, struct window_state *state)
{
    const struct node_code *code = state->node.code;
    const struct datum *row;
    TRY(store_get(task, &state->store, &state->current, state->position, &row));
    exec__restore(x->machine.frame, &code->saved, row);
    if (state->uses_peers && state->position >= state->group_end) {
        TRY(next_group(task, x, state, row));
    }
    struct frame frame = {.count = 0};
    if (state->uses_frame) {
        TRY(find_edge(task, x, state, 0, &state->head));
        TRY(find_edge(task, x, state, 1, &state->tail));
        frame = exclude(state);
    }
    size_t memory = store_memory(&state->store);
    for (uint32_t i = 0; i < code->plan->window.call_count; i++) {
        TRY(call_function(
            task, x, state, i, &frame, row, &x->machine.frame[code->plan->window.calls[i].result]));
        memory += arena_used(&state->calls[i].memory) + arena_used(&state->calls[i].result);
    }
    state->position++;
    return exec__hold(x, &state->held, memory);
}

static enum err
window_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct window_state *state = (struct window_state *)(void *)node;
    *found = false;
    if (!state->loaded) {
        TRY(read_offsets(x, state));
    }
    if (!state->loaded || state->position == state->store.count) {
        if (state->ended || (state->loaded && state->next_first == NULL)) {
            return ERR_OK;
        }
        TRY(load_partition(task, x, state));
        if (state->ended) {
            return ERR_OK;
        }
    }
    TRY(task_breathe(task, x->context.diag));
    TRY(give_row(task, x, state));
    *found = true;
    return ERR_OK;
}

static void
window_close(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct window_state *state = (struct window_state *)(void *)node;
    if (!state->begun) {
        return;
    }
    clear_partition(task, state);
    for (uint32_t i = 0; i < node->code->plan->window.call_count; i++) {
        arena_destroy(&state->calls[i].memory);
        arena_destroy(&state->calls[i].result);
    }
    store_destroy(task, &state->store);
    arena_destroy(&state->keys[0]);
    arena_destroy(&state->keys[1]);
}

const struct node_kind exec__window = {.state_size = sizeof(struct window_state),
    .start = window_start,
    .next = window_next,
    .close = window_close};
