/* sql/exec/scan.c - rows of stored relations: whole, by ranges of an index, by one key. */
#include "sql/exec/exec_internal.h"

struct scan_state {
    struct node node;
    struct txn_scan *scan; /* the range being read, or NULL */
    struct arena row;      /* what the registers point to, where that is not the scan's memory */
    struct arena bounds;   /* values and keys of the ranges; reset at start */
    struct buffer low, high;
    struct txn_version version;
    struct datum *in_values; /* sorted, without duplicates */
    uint32_t in_count, in_at;
    bool begun, ended;
};

static void
close_scan(struct task *task, struct scan_state *state)
{
    if (state->scan != NULL) {
        txn_scan_close(task, state->scan);
        state->scan = NULL;
    }
}

static enum err
start(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct scan_state *state = (struct scan_state *)(void *)node;
    close_scan(task, state);
    state->begun = false;
    state->ended = false;
    return ERR_OK;
}

static void
close_state(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct scan_state *state = (struct scan_state *)(void *)node;
    close_scan(task, state);
    arena_destroy(&state->row);
    arena_destroy(&state->bounds);
    buffer_destroy(&state->low);
    buffer_destroy(&state->high);
}

/* ---- keys
 * -------------------------------------------------------------------------------------------- */

/* A bound's value; what it leaves behind lies in x->temp until the caller rewinds. */
static enum err
bound_value(struct exec *x, const struct code *code, struct datum *value)
{
    TRY(exec__evaluate_code(x, code, &x->temp));
    *value = x->machine.frame[code->result];
    return ERR_OK;
}

static enum err
add_equal(struct exec *x, const struct node_code *code, struct buffer *key, bool *null)
{
    const struct index *index = code->scan.index;
    const struct relation *relation = code->plan->scan.relation.relation;
    *null = false;
    for (uint32_t i = 0; i < code->plan->scan.bounds.equal_count; i++) {
        struct datum value;
        TRY(bound_value(x, &code->scan.equal[i], &value));
        if (value.null) {
            *null = true;
            return ERR_OK;
        }
        key_encode(key, index_column_type(relation, index, i), value, index->flags[i]);
    }
    return ERR_OK;
}

/* Sorted in the order of the scan, without nulls and duplicates. */
static enum err
gather_in_values(struct task *task, struct exec *x, struct scan_state *state)
{
    const struct node_code *code = state->node.code;
    const struct plan_bounds *bounds = &code->plan->scan.bounds;
    const struct index *index = code->scan.index;
    oid_t type = index_column_type(code->plan->scan.relation.relation, index, bounds->equal_count);
    bool falling = (index->flags[bounds->equal_count] & KEY_DESCENDING) != 0;
    const struct key_code key = {.type = type, .descending = falling != code->plan->scan.backward};
    size_t count = bounds->in_count;
    struct datum *values = NULL;
    if (bounds->in_array) {
        struct datum array;
        TRY(bound_value(x, &code->scan.in_list[0], &array));
        count = 0;
        if (!array.null) {
            array = datum_copy(&state->bounds, TYPE_BYTEA, array);
            count = array_elements(&state->bounds, array, &values);
        }
    } else {
        values = arena_array(&state->bounds, count + 1, sizeof *values);
        for (uint32_t i = 0; i < count; i++) {
            TRY(bound_value(x, &code->scan.in_list[i], &values[i]));
            values[i] = datum_copy(&state->bounds, type, values[i]);
        }
    }
    struct sort_item *items = arena_array(&state->bounds, 2 * count + 1, sizeof *items);
    size_t some = 0;
    for (size_t i = 0; i < count; i++) {
        if (!values[i].null) {
            items[some].row = &values[i];
            items[some++].prefix = exec__sort_prefix(&key, &values[i]);
        }
    }
    count = some;
    TRY(exec__sort_items(task, items, items + count, count, &key, 1, x->context.diag));
    state->in_values = arena_array(&state->bounds, count + 1, sizeof *state->in_values);
    state->in_count = 0;
    state->in_at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct datum *last =
            state->in_count == 0 ? NULL : &state->in_values[state->in_count - 1];
        if (last == NULL || datum_compare(type, *last, *items[i].row) != 0) {
            state->in_values[state->in_count++] = *items[i].row;
        }
    }
    return ERR_OK;
}

/* low and high hold the equal columns' prefix: make them the limits of the column after it. *none:
 * a bound is null. */
static enum err
add_limits(struct exec *x, struct scan_state *state, bool *none)
{
    const struct node_code *code = state->node.code;
    const struct plan_bounds *bounds = &code->plan->scan.bounds;
    const struct index *index = code->scan.index;
    uint32_t at = bounds->equal_count;
    oid_t type = index_column_type(code->plan->scan.relation.relation, index, at);
    int flags = index->flags[at];
    bool falling = (flags & KEY_DESCENDING) != 0;
    /* In a falling column the upper bound of the values is the lower one of the keys. */
    const struct expr *low = falling ? bounds->high : bounds->low;
    const struct expr *high = falling ? bounds->low : bounds->high;
    bool low_exclusive = falling ? bounds->high_exclusive : bounds->low_exclusive;
    bool high_exclusive = falling ? bounds->low_exclusive : bounds->high_exclusive;
    const struct code *low_code = falling ? &code->scan.high : &code->scan.low;
    const struct code *high_code = falling ? &code->scan.low : &code->scan.high;
    enum {
        MARK_VALUE = 1 /* first byte of every key column that is not null (compare.c) */
    };
    *none = false;
    if (low == NULL) {
        buffer_add_u8(&state->low, MARK_VALUE);
    } else {
        struct datum value;
        TRY(bound_value(x, low_code, &value));
        *none = value.null;
        key_encode(&state->low, type, value, flags);
        if (low_exclusive && !key_prefix_successor(&state->low)) {
            *none = true;
        }
    }
    if (high == NULL) {
        buffer_add_u8(&state->high, MARK_VALUE + 1);
    } else {
        struct datum value;
        TRY(bound_value(x, high_code, &value));
        *none = *none || value.null;
        key_encode(&state->high, type, value, flags);
        if (!high_exclusive && !key_prefix_successor(&state->high)) {
            ASSERT(false); /* a column begins with its marker, which is never 0xFF */
        }
    }
    return ERR_OK;
}

/* The next range into low and high; every range is [low, high). */
static enum err
make_range(struct task *task, struct exec *x, struct scan_state *state, bool *more)
{
    const struct node_code *code = state->node.code;
    const struct plan_bounds *bounds = &code->plan->scan.bounds;
    state->low.size = 0;
    state->high.size = 0;
    bool none = false;
    TRY(add_equal(x, code, &state->low, &none));
    if (none) {
        *more = false;
        return ERR_OK;
    }
    if (bounds->in_count > 0) {
        if (!state->begun) {
            TRY(gather_in_values(task, x, state));
        }
        if (state->in_at == state->in_count) {
            *more = false;
            return ERR_OK;
        }
        const struct index *index = code->scan.index;
        oid_t type =
            index_column_type(code->plan->scan.relation.relation, index, bounds->equal_count);
        key_encode(
            &state->low, type, state->in_values[state->in_at++], index->flags[bounds->equal_count]);
    }
    buffer_add(&state->high, state->low.data, state->low.size);
    if (bounds->low != NULL || bounds->high != NULL) {
        TRY(add_limits(x, state, &none));
        *more = !none;
        return ERR_OK;
    }
    if (!key_prefix_successor(&state->high)) {
        ASSERT(state->high.size == 0); /* no prefix at all: everything */
    }
    *more = true;
    return ERR_OK;
}

static enum err
next_range(struct task *task, struct exec *x, struct scan_state *state, bool *more)
{
    const struct node_code *code = state->node.code;
    bool first = !state->begun;
    *more = first || state->in_at < state->in_count;
    if (!*more) {
        return ERR_OK;
    }
    if (first) {
        arena_reset(&state->bounds);
        state->in_count = 0;
        state->in_at = 0;
    }
    struct txn_range range = {0};
    if (code->scan.index != NULL) {
        struct arena_mark mark = arena_mark(&x->temp);
        enum err err = make_range(task, x, state, more);
        arena_rewind(&x->temp, mark);
        TRY(err);
        range.low = slice_of(state->low.data, state->low.size);
        range.high = slice_of(state->high.data, state->high.size);
        range.has_low = state->low.size > 0;
        range.has_high = state->high.size > 0;
        range.high_exclusive = true;
    }
    state->begun = true;
    if (!*more) {
        return ERR_OK;
    }
    TRY(txn_scan_open(task, x->context.txn, x->context.snapshot, code->scan.tree, &range,
        code->plan->scan.backward, &state->bounds, &state->scan, x->context.diag));
    const struct plan_relation *relation = &code->plan->scan.relation;
    if (txn_tracks_reads(x->context.txn) && code->scan.tree.v == relation->relation->tree.v) {
        struct txn_filter *filter = exec__row_filter(x, code->plan);
        if (filter != NULL) {
            txn_scan_set_filter(state->scan, filter);
        }
    }
    return ERR_OK;
}

/* ---- rows
 * -------------------------------------------------------------------------------------------- */

static enum err
fill(struct exec *x, struct scan_state *state, const struct txn_row *row)
{
    const struct plan_relation *relation = &state->node.code->plan->scan.relation;
    struct datum *frame = x->machine.frame;
    if (relation->identity) {
        state->version = row->version;
        frame[relation->key_reg] = datum_bytes(row->key.data, row->key.size);
        frame[relation->version_reg] = datum_bytes(&state->version, sizeof state->version);
    }
    return row_decode(relation->relation->layout, row->value, relation->columns,
        relation->column_count, frame + relation->base, x->context.diag);
}

/* The row that an index entry leads to. Both are seen under one snapshot, so it is there (E6). */
static enum err
follow(struct task *task, struct exec *x, struct scan_state *state, struct slice row_key)
{
    const struct node_code *code = state->node.code;
    const struct relation *relation = code->plan->scan.relation.relation;
    struct txn_row row;
    bool found = false;
    arena_reset(&state->row);
    TRY(txn_get(task, x->context.txn, x->context.snapshot, relation->tree, row_key, &state->row,
        &row, &found, x->context.diag));
    if (!found) {
        return diag_set(x->context.diag, ERR_INDEX_CORRUPT,
            "index \"%s\" has an entry for a row that is not in table \"%s\"",
            code->scan.index->name, relation->name);
    }
    return fill(x, state, &row);
}

static enum err
decode_targets(struct exec *x, struct scan_state *state, const struct index *index,
    struct slice key, const int32_t *targets, uint32_t count)
{
    const struct relation *relation = state->node.code->plan->scan.relation.relation;
    for (uint32_t i = 0; i < count; i++) {
        oid_t type = index_column_type(relation, index, i);
        if (targets[i] < 0) {
            TRY(key_skip(&key, type, index->flags[i], x->context.diag));
        } else {
            TRY(key_decode(&state->row, &key, type, index->flags[i], &x->machine.frame[targets[i]],
                x->context.diag));
        }
    }
    return ERR_OK;
}

static enum err
decode_included(
    struct exec *x, struct scan_state *state, const struct index *index, struct slice bytes)
{
    const int32_t *targets = state->node.code->scan.included_targets;
    uint16_t wanted[INDEX_COLUMNS_MAX];
    struct datum values[INDEX_COLUMNS_MAX];
    size_t count = 0;
    for (uint16_t i = 0; i < state->node.code->scan.included_target_count; i++) {
        if (targets[i] >= 0) {
            wanted[count++] = i;
        }
    }
    TRY(row_decode(index->included_layout, bytes, wanted, count, values, x->context.diag));
    for (size_t i = 0; i < count; i++) {
        x->machine.frame[targets[wanted[i]]] = values[wanted[i]];
    }
    return ERR_OK;
}

static enum err
fill_from_entry(struct exec *x, struct scan_state *state, const struct txn_row *entry)
{
    const struct node_code *code = state->node.code;
    const struct relation *relation = code->plan->scan.relation.relation;
    arena_reset(&state->row);
    TRY(decode_targets(x, state, code->scan.index, entry->key, code->scan.key_targets,
        code->scan.key_target_count));
    if (code->scan.included_target_count > 0) {
        TRY(decode_included(
            x, state, code->scan.index, index_entry_included(code->scan.index, entry->value)));
    }
    if (code->scan.row_key_target_count == 0) {
        return ERR_OK;
    }
    struct slice row_key;
    TRY(index_entry_row_key(
        relation, code->scan.index, entry->key, entry->value, &row_key, x->context.diag));
    return decode_targets(x, state, relation->primary, row_key, code->scan.row_key_targets,
        code->scan.row_key_target_count);
}

static enum err
next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct scan_state *state = (struct scan_state *)(void *)node;
    const struct node_code *code = node->code;
    struct txn_row row;
    *found = false;
    while (!state->ended) {
        if (state->scan == NULL) {
            bool more = false;
            TRY(next_range(task, x, state, &more));
            if (!more) {
                state->ended = true;
                return ERR_OK;
            }
        }
        TRY(task_breathe(task, x->context.diag));
        TRY(txn_scan_next(task, state->scan, &row, found, x->context.diag));
        if (*found) {
            break;
        }
        close_scan(task, state);
        state->ended = state->in_at == state->in_count;
    }
    if (!*found) {
        return ERR_OK;
    }
    if (!code->scan.secondary) {
        return fill(x, state, &row);
    }
    if (code->scan.key_targets != NULL) {
        return fill_from_entry(x, state, &row);
    }
    struct slice row_key;
    TRY(index_entry_row_key(code->plan->scan.relation.relation, code->scan.index, row.key,
        row.value, &row_key, x->context.diag));
    return follow(task, x, state, row_key);
}

const struct node_kind exec__scan = {
    .state_size = sizeof(struct scan_state), .start = start, .next = next, .close = close_state};

/* At most one row: all columns of a unique index are given. No scan is opened. */
static enum err
next_point(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct scan_state *state = (struct scan_state *)(void *)node;
    const struct node_code *code = node->code;
    *found = false;
    if (state->ended) {
        return ERR_OK;
    }
    state->ended = true;
    TRY(task_breathe(task, x->context.diag));
    state->low.size = 0;
    struct arena_mark mark = arena_mark(&x->temp);
    bool null = false;
    enum err err = add_equal(x, code, &state->low, &null);
    arena_rewind(&x->temp, mark);
    if (err != ERR_OK || null) {
        return err;
    }
    struct txn_row row;
    arena_reset(&state->row);
    TRY(txn_get(task, x->context.txn, x->context.snapshot, code->scan.tree,
        slice_of(state->low.data, state->low.size), &state->row, &row, found, x->context.diag));
    if (!*found) {
        return ERR_OK;
    }
    if (!code->scan.secondary) {
        return fill(x, state, &row);
    }
    struct slice row_key;
    TRY(index_entry_row_key(code->plan->scan.relation.relation, code->scan.index, row.key,
        row.value, &row_key, x->context.diag));
    state->high.size = 0;
    buffer_add(&state->high, row_key.data, row_key.size);
    return follow(task, x, state, slice_of(state->high.data, state->high.size));
}

const struct node_kind exec__point = {.state_size = sizeof(struct scan_state),
    .start = start,
    .next = next_point,
    .close = close_state};
