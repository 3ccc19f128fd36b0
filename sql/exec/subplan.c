/*
 * sql/exec/subplan.c - subqueries inside expressions, and long lists of values.
 *
 * A correlated one runs anew at each call, unless it has one answer and has been asked with the
 * same values before: answers are kept by what they depend on, as long as that is of use. One that
 * is not correlated runs once per execution: its answer, or for ANY and ALL its values, are kept.
 */
#include "base/hash.h"
#include "sql/exec/exec_internal.h"

enum {
    MEMO_MEMORY = 2 << 20,
    MEMO_TRIAL = 512, /* so many calls, of which at least one in eight must have been answered */
};

struct value_entry {
    struct hash_entry entry;
    struct datum value;
};

struct memo_entry {
    struct hash_entry entry;
    const struct datum *outside;
    struct datum value;
};

static enum err
next_value(struct exec *x, const struct subplan_code *code, struct datum *value, bool *found)
{
    TRY(exec__next(x->machine.eval.task, x, x->nodes[code->root->number], found));
    if (*found) {
        *value = x->machine.frame[code->plan->result];
    }
    return ERR_OK;
}

static enum err
start(struct exec *x, const struct subplan_code *code)
{
    return exec__start(x->machine.eval.task, x, x->nodes[code->root->number]);
}

static enum err
scalar(struct exec *x, const struct subplan_code *code, struct arena *arena, struct datum *result)
{
    bool found = false;
    struct datum value = datum_null();
    TRY(start(x, code));
    TRY(next_value(x, code, &value, &found));
    *result = found ? datum_copy(arena, code->type, value) : datum_null();
    if (found) {
        TRY(next_value(x, code, &value, &found));
    }
    return found ? diag_set(x->context.diag, ERR_CARDINALITY,
                       "more than one row returned by a subquery used as an expression")
                 : ERR_OK;
}

static enum err
exists(struct exec *x, const struct subplan_code *code, struct datum *result)
{
    bool found = false;
    TRY(start(x, code));
    TRY(exec__next(x->machine.eval.task, x, x->nodes[code->root->number], &found));
    *result = datum_bool(found);
    return ERR_OK;
}

/* ---- ANY, ALL
 * ------------------------------------------------------------------------------------------ */

/* What has been found out while going through the values; three-valued. */
struct verdict {
    bool any; /* ANY: one is true decides; ALL: one is false decides */
    bool decided;
    bool has_null;
};

static enum err
judge(struct exec *x, const struct subplan_code *code, struct datum left, struct datum value,
    struct arena *arena, struct verdict *verdict)
{
    if (left.null || value.null) {
        verdict->has_null = true;
        return ERR_OK;
    }
    struct eval eval = x->machine.eval;
    eval.arena = arena;
    struct datum args[2] = {left, value};
    struct datum answer = datum_null();
    TRY(code->function->call(&eval, args, 2, &answer));
    if (answer.null) {
        verdict->has_null = true;
    } else if ((answer.i != 0) == verdict->any) {
        verdict->decided = true;
    }
    return ERR_OK;
}

static struct datum
answer_of(const struct verdict *verdict)
{
    if (verdict->decided) {
        return datum_bool(verdict->any);
    }
    return verdict->has_null ? datum_null() : datum_bool(!verdict->any);
}

static enum err
compare_anew(struct exec *x, const struct subplan_code *code, struct datum left,
    struct arena *arena, struct verdict *verdict)
{
    TRY(start(x, code));
    while (!verdict->decided) {
        struct datum value = datum_null();
        bool found = false;
        TRY(next_value(x, code, &value, &found));
        if (!found) {
            return ERR_OK;
        }
        TRY(judge(x, code, left, value, arena, verdict));
    }
    return ERR_OK;
}

static bool
is_known(const struct subplan_state *state, oid_t type, struct datum value, uint64_t hash)
{
    const struct hash_entry *entry = hash_table_first(state->table, hash);
    for (; entry != NULL; entry = entry->next) {
        const struct value_entry *at = (const struct value_entry *)(const void *)entry;
        if (entry->hash == hash && datum_compare(type, at->value, value) == 0) {
            return true;
        }
    }
    return false;
}

static void
keep_value(struct subplan_state *state, const struct subplan_code *code, struct datum value)
{
    if (code->hash_type != 0) {
        if (value.null) {
            return;
        }
        uint64_t hash = datum_hash(code->hash_type, value, 0);
        if (!is_known(state, code->hash_type, value, hash)) {
            struct value_entry *entry = arena_alloc_raw(&state->memory, sizeof *entry);
            entry->value = datum_copy(&state->memory, code->type, value);
            hash_table_add(state->table, &entry->entry, hash);
        }
        return;
    }
    if (state->row_count == state->row_capacity) {
        state->row_capacity = state->row_capacity == 0 ? 32 : state->row_capacity * 2;
        state->rows = mem_realloc(state->rows, state->row_capacity * sizeof *state->rows);
    }
    state->rows[state->row_count++] = datum_copy(&state->memory, code->type, value);
}

static enum err
load(struct exec *x, const struct subplan_code *code, struct subplan_state *state)
{
    if (code->hash_type != 0) {
        state->table = arena_alloc(&state->memory, sizeof *state->table);
    }
    TRY(start(x, code));
    for (;;) {
        struct datum value = datum_null();
        bool found = false;
        TRY(next_value(x, code, &value, &found));
        if (!found) {
            state->done = true;
            return ERR_OK;
        }
        state->has_null = state->has_null || value.null;
        state->has_any = true;
        keep_value(state, code, value);
        size_t table = state->table == NULL ? 0 : hash_table_memory(state->table);
        TRY(exec__hold(x, &state->held,
            arena_used(&state->memory) + table + state->row_capacity * sizeof *state->rows));
    }
}

static enum err
compare_kept(struct exec *x, const struct subplan_code *code, struct subplan_state *state,
    struct datum left, struct arena *arena, struct verdict *verdict)
{
    if (!state->done) {
        TRY(load(x, code, state));
    }
    if (code->hash_type != 0) {
        verdict->has_null = state->has_null || (left.null && state->has_any);
        verdict->decided = !left.null && is_known(state, code->hash_type, left,
                                             datum_hash(code->hash_type, left, 0));
        return ERR_OK;
    }
    for (uint32_t i = 0; i < state->row_count && !verdict->decided; i++) {
        TRY(judge(x, code, left, state->rows[i], arena, verdict));
        if (i % 64 == 63) {
            TRY(task_breathe(x->machine.eval.task, x->context.diag));
        }
    }
    return ERR_OK;
}

/* ---- answers by what they depend on ------------------------------------------------------------
 */

static uint64_t
hash_outside(const struct exec *x, const struct reg_list *external)
{
    uint64_t hash = external->count;
    for (uint32_t i = 0; i < external->count; i++) {
        struct datum value = x->machine.frame[external->regs[i]];
        hash = hash_u64(hash + value.null);
        if (!value.null) {
            hash = external->by_reference[i] ? hash64(value.p, value.size, hash)
                                             : hash_u64(hash ^ (uint64_t)value.i);
        }
    }
    return hash;
}

static const struct memo_entry *
find_memo(const struct exec *x, const struct subplan_code *code, uint64_t hash)
{
    const struct subplan_state *state = &x->subplans[code->number];
    const struct hash_entry *entry =
        state->table == NULL ? NULL : hash_table_first(state->table, hash);
    for (; entry != NULL; entry = entry->next) {
        const struct memo_entry *memo = (const struct memo_entry *)(const void *)entry;
        if (entry->hash == hash && exec__same_outside(x, &code->external, memo->outside)) {
            return memo;
        }
    }
    return NULL;
}

static bool
memo_pays(const struct subplan_state *state)
{
    return state->asked < MEMO_TRIAL || state->answered >= state->asked / 8;
}

static enum err
run_once(struct exec *x, const struct subplan_code *code, struct arena *arena, struct datum *result)
{
    return code->plan->kind == SUBPLAN_EXISTS ? exists(x, code, result)
                                              : scalar(x, code, arena, result);
}

static enum err
ask_memo(struct exec *x, const struct subplan_code *code, struct arena *arena, struct datum *result)
{
    struct subplan_state *state = &x->subplans[code->number];
    if (!memo_pays(state)) {
        return run_once(x, code, arena, result);
    }
    uint64_t hash = hash_outside(x, &code->external);
    const struct memo_entry *known = find_memo(x, code, hash);
    state->asked++;
    if (known != NULL) {
        state->answered++;
        *result = known->value;
        return ERR_OK;
    }
    /* Answers stay where they are to the end: who has been given one may still look at it. */
    if (arena_used(&state->memory) >= MEMO_MEMORY) {
        return run_once(x, code, arena, result);
    }
    TRY(run_once(x, code, &state->memory, result));
    if (state->table == NULL) {
        state->table = arena_alloc(&state->memory, sizeof *state->table);
    }
    struct memo_entry *memo = arena_alloc_raw(&state->memory, sizeof *memo);
    memo->outside = exec__save(&state->memory, x->machine.frame, &code->external);
    memo->value = *result;
    hash_table_add(state->table, &memo->entry, hash);
    return exec__hold(
        x, &state->held, arena_used(&state->memory) + hash_table_memory(state->table));
}

enum err
exec__subplan(
    struct exec *x, const struct subplan_code *code, struct arena *arena, struct datum *result)
{
    struct subplan_state *state = &x->subplans[code->number];
    enum subplan_kind kind = code->plan->kind;
    if (kind == SUBPLAN_ANY || kind == SUBPLAN_ALL) {
        struct datum left = x->machine.frame[code->left];
        struct verdict verdict = {.any = kind == SUBPLAN_ANY};
        if (code->plan->correlated) {
            TRY(compare_anew(x, code, left, arena, &verdict));
        } else {
            TRY(compare_kept(x, code, state, left, arena, &verdict));
        }
        *result = answer_of(&verdict);
        return ERR_OK;
    }
    if (state->done) {
        *result = state->value;
        return ERR_OK;
    }
    if (code->plan->correlated) {
        return code->memo ? ask_memo(x, code, arena, result) : run_once(x, code, arena, result);
    }
    TRY(run_once(x, code, &state->memory, result));
    state->value = *result;
    state->done = true;
    return ERR_OK;
}

/* ---- long lists of values
 * --------------------------------------------------------------------------- */

/* Constants and parameters stay where they are as long as the execution: only their places are
 * copied. */
static void
load_list(struct exec *x, const struct in_code *code, struct subplan_state *state)
{
    state->table = arena_alloc(&state->memory, sizeof *state->table);
    state->done = true;
    state->has_any = code->count > 0;
    for (uint32_t i = 0; i < code->count; i++) {
        struct datum item = x->machine.frame[code->items[i]];
        if (item.null) {
            state->has_null = true;
            continue;
        }
        uint64_t hash = datum_hash(code->type, item, 0);
        if (!is_known(state, code->type, item, hash)) {
            struct value_entry *entry = arena_alloc_raw(&state->memory, sizeof *entry);
            entry->value = item;
            hash_table_add(state->table, &entry->entry, hash);
        }
    }
}

struct datum
exec__in_list(struct exec *x, const struct in_code *code, struct datum value)
{
    struct subplan_state *state = &x->subplans[code->number];
    if (!state->done) {
        load_list(x, code, state);
    }
    if (value.null) {
        return state->has_any ? datum_null() : datum_bool(false);
    }
    if (is_known(state, code->type, value, datum_hash(code->type, value, 0))) {
        return datum_bool(true);
    }
    return state->has_null ? datum_null() : datum_bool(false);
}

void
exec__subplans_close(struct exec *x)
{
    for (uint32_t i = 0; i < x->program->subplan_count; i++) {
        struct subplan_state *state = &x->subplans[i];
        if (state->table != NULL) {
            hash_table_destroy(state->table);
        }
        mem_free(state->rows);
        arena_destroy(&state->memory);
    }
}
