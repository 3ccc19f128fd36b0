/*
 * sql/value/ordered.c - ordered-set aggregates: percentiles, mode; where a row would stand.
 *
 * Who binds them (sql/bind/ordered.c) has the rows come sorted, and passes the direct arguments
 * with each row; the first row's count. The values of a group stay in memory.
 */
#include <math.h>

#include "sql/value/array.h"
#include "sql/value/record.h"

/* ---- percentiles ----------------------------------------------------------------------------- */

/* percentile(fraction or fractions, x, x's type) */
struct percentile {
    oid_t type;
    bool begun;
    struct datum fraction; /* or an array of them */
    struct array_maker values;
};

static enum err
percentile_add(struct percentile *state, struct arena *group, const struct datum *args,
    oid_t fraction, oid_t type)
{
    if (!state->begun) {
        state->begun = true;
        state->type = type;
        state->fraction = datum_copy(group, fraction, args[0]);
    }
    if (!args[1].null) {
        array__add(&state->values, group, datum_copy(group, type, args[1]));
    }
    return ERR_OK;
}

#define STEP(name, fraction, type)                                                                 \
    static enum err name(                                                                          \
        struct eval *eval, void *memory, struct arena *group, const struct datum *args, int count) \
    {                                                                                              \
        (void)eval;                                                                                \
        UNUSED_COUNT;                                                                              \
        return percentile_add(memory, group, args, fraction, type);                                \
    }
STEP(cont_float_step, TYPE_FLOAT8, TYPE_FLOAT8)
STEP(cont_interval_step, TYPE_FLOAT8, TYPE_INTERVAL)
STEP(cont_floats_step, 1022, TYPE_FLOAT8)
STEP(cont_intervals_step, 1022, TYPE_INTERVAL)
STEP(disc_step, TYPE_FLOAT8, (oid_t)args[2].i)
STEP(disc_many_step, 1022, (oid_t)args[2].i)

static enum err
check_fraction(struct eval *eval, double fraction)
{
    if (fraction >= 0 && fraction <= 1) {
        return ERR_OK;
    }
    return diag_set(
        eval->diag, ERR_NUMERIC_RANGE, "percentile value %g is not between 0 and 1", fraction);
}

static enum err
between(struct eval *eval, oid_t type, struct datum low, struct datum high, double part,
    struct datum *result)
{
    if (type == TYPE_FLOAT8) {
        *result = datum_float(low.f + part * (high.f - low.f));
        return ERR_OK;
    }
    struct datum args[2] = {high, low};
    TRY(value__call_operator(eval, "-", TYPE_INTERVAL, TYPE_INTERVAL, args, &args[0]));
    args[1] = datum_float(part);
    TRY(value__call_operator(eval, "*", TYPE_INTERVAL, TYPE_FLOAT8, args, &args[0]));
    args[1] = low;
    return value__call_operator(eval, "+", TYPE_INTERVAL, TYPE_INTERVAL, args, result);
}

/* There is at least one value. */
static enum err
percentile_at(struct eval *eval, const struct percentile *state, double fraction, bool continuous,
    struct datum *result)
{
    const struct datum *values = state->values.elements;
    uint32_t count = state->values.count;
    TRY(check_fraction(eval, fraction));
    if (!continuous) {
        double row = ceil(fraction * count);
        *result = values[row < 1 ? 0 : (uint32_t)row - 1];
        return ERR_OK;
    }
    double place = fraction * (count - 1);
    uint32_t first = (uint32_t)floor(place);
    uint32_t second = (uint32_t)ceil(place);
    if (first == second) {
        *result = values[first];
        return ERR_OK;
    }
    return between(eval, state->type, values[first], values[second], place - (double)first, result);
}

static enum err
one(struct eval *eval, const struct percentile *state, bool continuous, struct datum *result)
{
    *result = datum_null();
    return state->values.count == 0 || state->fraction.null
               ? ERR_OK
               : percentile_at(eval, state, state->fraction.f, continuous, result);
}

/* An array of the shape of the fractions. */
static enum err
many(struct eval *eval, const struct percentile *state, bool continuous, struct datum *result)
{
    *result = datum_null();
    if (state->values.count == 0 || state->fraction.null) {
        return ERR_OK;
    }
    struct array_reader reader;
    struct datum fraction;
    (void)array__open(state->fraction, &reader);
    struct array_maker maker = {.element = state->type, .dimensions = reader.dimensions};
    memcpy(maker.sizes, reader.sizes, sizeof maker.sizes);
    memcpy(maker.lower, reader.lower, sizeof maker.lower);
    while (array__next(&reader, &fraction)) {
        struct datum value = datum_null();
        if (!fraction.null) {
            TRY(percentile_at(eval, state, fraction.f, continuous, &value));
        }
        array__add(&maker, eval->arena, value);
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

#define FINISH(name) static enum err name(struct eval *eval, void *memory, struct datum *result)
FINISH(cont_finish)
{
    return one(eval, memory, true, result);
}

FINISH(disc_finish)
{
    return one(eval, memory, false, result);
}

FINISH(cont_many_finish)
{
    return many(eval, memory, true, result);
}

FINISH(disc_many_finish)
{
    return many(eval, memory, false, result);
}

#define PERCENTILE(name, step, finish) \
    static const struct aggregate name = {sizeof(struct percentile), step, finish};
PERCENTILE(cont_float, cont_float_step, cont_finish)
PERCENTILE(cont_interval, cont_interval_step, cont_finish)
PERCENTILE(cont_floats, cont_floats_step, cont_many_finish)
PERCENTILE(cont_intervals, cont_intervals_step, cont_many_finish)
PERCENTILE(disc, disc_step, disc_finish)
PERCENTILE(disc_many, disc_many_step, disc_many_finish)

/* ---- mode ------------------------------------------------------------------------------------ */

/* mode(x, x's type): the value of the longest run. */
struct mode {
    oid_t type;
    struct datum best, last;
    uint64_t best_run, run;
};

static enum err
mode_step(struct eval *eval, void *memory, struct arena *group, const struct datum *args, int count)
{
    (void)eval;
    UNUSED_COUNT;
    struct mode *state = memory;
    if (args[0].null) {
        return ERR_OK;
    }
    state->type = (oid_t)args[1].i;
    if (state->run == 0 || datum_compare(state->type, args[0], state->last) != 0) {
        state->last = datum_copy(group, state->type, args[0]);
        state->run = 0;
    }
    if (++state->run > state->best_run) {
        state->best_run = state->run;
        state->best = state->last;
    }
    return ERR_OK;
}

FINISH(mode_finish)
{
    (void)eval;
    const struct mode *state = memory;
    *result = state->best_run == 0 ? datum_null() : state->best;
    return ERR_OK;
}

static const struct aggregate mode = {sizeof(struct mode), mode_step, mode_finish};

/* ---- where a row would stand ----------------------------------------------------------------- */

/* rank(the row that is asked for, a row, a byte of struct key_flags per column) */
struct standing {
    uint64_t rows, before, equal, distinct; /* distinct ones before it; they come sorted */
    struct datum last;
};

static int
compare_standing(struct datum a, struct datum b, struct datum flags)
{
    struct record_reader x, y;
    struct record_column p, q;
    record__open(a, &x);
    record__open(b, &y);
    for (uint32_t i = 0; record__next(&x, &p) && record__next(&y, &q); i++) {
        int flag = flags.p[i];
        int order = 0;
        if (p.value.null || q.value.null) {
            order = (p.value.null ? 1 : 0) - (q.value.null ? 1 : 0);
            order = (flag & KEY_NULLS_FIRST) != 0 ? -order : order;
        } else {
            order = datum_compare(p.type, p.value, q.value);
            order = (flag & KEY_DESCENDING) != 0 ? -order : order;
        }
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static enum err
standing_step(
    struct eval *eval, void *memory, struct arena *group, const struct datum *args, int count)
{
    (void)eval;
    UNUSED_COUNT;
    struct standing *state = memory;
    int order = compare_standing(args[1], args[0], args[2]);
    state->rows++;
    state->equal += order == 0 ? 1 : 0;
    if (order < 0) {
        if (state->before++ == 0 || compare_standing(args[1], state->last, args[2]) != 0) {
            state->distinct++;
            state->last = datum_copy(group, TYPE_RECORD, args[1]);
        }
    }
    return ERR_OK;
}

FINISH(rank_finish)
{
    (void)eval;
    *result = datum_int((int64_t)((const struct standing *)memory)->before + 1);
    return ERR_OK;
}

FINISH(dense_rank_finish)
{
    (void)eval;
    *result = datum_int((int64_t)((const struct standing *)memory)->distinct + 1);
    return ERR_OK;
}

FINISH(percent_rank_finish)
{
    (void)eval;
    const struct standing *state = memory;
    *result = datum_float(state->rows == 0 ? 0 : (double)state->before / (double)state->rows);
    return ERR_OK;
}

FINISH(cume_dist_finish)
{
    (void)eval;
    const struct standing *state = memory;
    *result = datum_float((double)(state->before + state->equal + 1) / (double)(state->rows + 1));
    return ERR_OK;
}

#define STANDING(name)                                \
    static const struct aggregate standing_##name = { \
        sizeof(struct standing), standing_step, name##_finish};
STANDING(rank)
STANDING(dense_rank)
STANDING(percent_rank)
STANDING(cume_dist)

/* ---- the table ------------------------------------------------------------------------------- */

#define O (FUNCTION_AGGREGATE | FUNCTION_ORDERED)
#define F TYPE_FLOAT8
#define H(name, result)                                                          \
    {                                                                            \
        "within_" #name, 0, result, 3, 3, O | FUNCTION_INTERNAL,                 \
            {TYPE_RECORD, TYPE_RECORD, TYPE_BYTEA}, NULL, &standing_##name, NULL \
    }

static const struct function functions[] = {
    {"percentile_disc", 3972, TYPE_ANYELEMENT, 2, 2, O | FUNCTION_ELEMENT, {F, TYPE_ANYELEMENT},
        NULL, &disc, NULL},
    {"percentile_cont", 3974, F, 2, 2, O, {F, F}, NULL, &cont_float, NULL},
    {"percentile_cont", 3976, TYPE_INTERVAL, 2, 2, O, {F, TYPE_INTERVAL}, NULL, &cont_interval,
        NULL},
    {"percentile_disc", 3978, TYPE_ANYARRAY, 2, 2, O | FUNCTION_ELEMENT, {1022, TYPE_ANYELEMENT},
        NULL, &disc_many, NULL},
    {"percentile_cont", 3980, 1022, 2, 2, O, {1022, F}, NULL, &cont_floats, NULL},
    {"percentile_cont", 3982, 1187, 2, 2, O, {1022, TYPE_INTERVAL}, NULL, &cont_intervals, NULL},
    {"mode", 3984, TYPE_ANYELEMENT, 1, 1, O | FUNCTION_ELEMENT, {TYPE_ANYELEMENT}, NULL, &mode,
        NULL},
    H(rank, TYPE_INT8),
    H(dense_rank, TYPE_INT8),
    H(percent_rank, F),
    H(cume_dist, F),
};

const struct function_rows ordered_rows = {ROWS(functions), NULL, 0, NULL, 0};
