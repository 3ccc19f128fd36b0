/* sql/exec/source.c - rows that come from nowhere: RESULT, VALUES, functions, catalog views. */
#include "sql/exec/exec_internal.h"

/* ---- RESULT
 * ------------------------------------------------------------------------------------------ */

struct result_state {
    struct node node;
    struct arena row;
    bool begun, ended;
};

static enum err
result_start(struct task *task, struct exec *x, struct node *node)
{
    struct result_state *state = (struct result_state *)(void *)node;
    state->begun = false;
    state->ended = false;
    return node->children[0] == NULL ? ERR_OK : exec__start(task, x, node->children[0]);
}

/* The filter reads nothing of a child's, so it is judged once, and before anything else. */
static enum err
result_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct result_state *state = (struct result_state *)(void *)node;
    const struct node_code *code = node->code;
    *found = false;
    if (state->ended) {
        return ERR_OK;
    }
    if (!state->begun) {
        state->begun = true;
        bool passes = false;
        TRY(exec__passes(x, &code->project.once, &passes));
        if (!passes) {
            state->ended = true;
            return ERR_OK;
        }
    }
    *found = true;
    if (node->children[0] != NULL) {
        TRY(exec__next(task, x, node->children[0], found));
    }
    state->ended = node->children[0] == NULL || !*found;
    if (!*found) {
        return ERR_OK;
    }
    arena_reset(&state->row);
    return exec__evaluate_code(x, &code->project.targets, &state->row);
}

static void
result_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    arena_destroy(&((struct result_state *)(void *)node)->row);
}

const struct node_kind exec__result = {.state_size = sizeof(struct result_state),
    .start = result_start,
    .next = result_next,
    .close = result_close};

/* ---- VALUES
 * ------------------------------------------------------------------------------------------ */

struct values_state {
    struct node node;
    struct arena row;
    uint32_t at;
};

static enum err
values_start(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    ((struct values_state *)(void *)node)->at = 0;
    return ERR_OK;
}

static enum err
values_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct values_state *state = (struct values_state *)(void *)node;
    const struct node_code *code = node->code;
    *found = state->at < code->plan->values.row_count;
    if (!*found) {
        return ERR_OK;
    }
    TRY(task_breathe(task, x->context.diag));
    arena_reset(&state->row);
    return exec__evaluate_code(x, &code->values.exprs[state->at++], &state->row);
}

static void
values_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    arena_destroy(&((struct values_state *)(void *)node)->row);
}

const struct node_kind exec__values = {.state_size = sizeof(struct values_state),
    .start = values_start,
    .next = values_next,
    .close = values_close};

/* ---- FUNCTION
 * ------------------------------------------------------------------------------------------ */

/* One call's progress. */
struct call_state {
    void *set; /* its set's state */
    bool ended;
};

struct function_state {
    struct node node;
    struct arena memory; /* of the arguments and the sets' states */
    struct arena row;    /* of what the calls give */
    struct datum *args;  /* of all calls */
    struct call_state *calls;
    size_t held;
    int64_t ordinal;
    bool begun, ended;
};

static enum err
function_start(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    struct function_state *state = (struct function_state *)(void *)node;
    arena_reset(&state->memory);
    state->ordinal = 0;
    state->begun = false;
    state->ended = false;
    return ERR_OK;
}

static enum err
begin_sets(struct exec *x, struct function_state *state)
{
    const struct node_code *code = state->node.code;
    const struct plan_node *plan = code->plan;
    uint32_t count = plan->function.arg_count;
    TRY(exec__evaluate_code(x, &code->function.args, &state->memory));
    state->args = arena_array(&state->memory, (size_t)count + 1, sizeof *state->args);
    state->calls = arena_array(&state->memory, plan->function.call_count, sizeof *state->calls);
    for (uint32_t i = 0; i < count; i++) {
        /* The arguments live as long as the set, not as long as the row outside. */
        state->args[i] = datum_copy(&state->memory, plan->function.args[i]->type,
            x->machine.frame[code->function.arg_slot + i]);
    }
    struct eval eval = x->machine.eval;
    eval.arena = &state->memory;
    for (uint32_t i = 0; i < plan->function.call_count; i++) {
        const struct plan_call *call = &plan->function.calls[i];
        const struct function *function = call->function;
        const struct datum *args = state->args + call->first_arg;
        if (function->set == NULL) {
            continue;
        }
        if ((function->flags & FUNCTION_STRICT) != 0 && exec__any_null(args, call->arg_count)) {
            state->calls[i].ended = true;
            continue;
        }
        state->calls[i].set = arena_alloc(&state->memory, function->set->state_size);
        TRY(function->set->start(&eval, state->calls[i].set, args, (int)call->arg_count));
    }
    return ERR_OK;
}

/* The call's next row into `values`; without a set it is a set of one. */
static enum err
call_next(struct exec *x, struct function_state *state, uint32_t at, struct datum *values)
{
    const struct plan_call *call = &state->node.code->plan->function.calls[at];
    const struct function *function = call->function;
    const struct datum *args = state->args + call->first_arg;
    struct call_state *progress = &state->calls[at];
    struct eval eval = x->machine.eval;
    eval.arena = &state->row;
    if (function->set != NULL) {
        return function->set->next(&eval, progress->set, values, &progress->ended);
    }
    if (state->ordinal > 0) {
        progress->ended = true;
        return ERR_OK;
    }
    values[0] = datum_null();
    if ((function->flags & FUNCTION_STRICT) != 0 && exec__any_null(args, call->arg_count)) {
        return ERR_OK;
    }
    return function->call(&eval, args, (int)call->arg_count, values);
}

static enum err
function_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct function_state *state = (struct function_state *)(void *)node;
    const struct plan_node *plan = node->code->plan;
    *found = false;
    TRY(task_breathe(task, x->context.diag));
    if (!state->begun) {
        state->begun = true;
        TRY(begin_sets(x, state));
    }
    if (state->ended) {
        return ERR_OK;
    }
    state->ended = true;
    arena_reset(&state->row);
    for (uint32_t i = 0; i < plan->function.call_count; i++) {
        const struct plan_call *call = &plan->function.calls[i];
        struct datum *values = x->machine.frame + call->result;
        if (!state->calls[i].ended) {
            TRY(call_next(x, state, i, values));
        }
        state->ended = state->ended && state->calls[i].ended;
        for (uint32_t c = 0; state->calls[i].ended && c < function_column_count(call->function);
             c++) {
            values[c] = datum_null();
        }
    }
    if (state->ended) {
        return ERR_OK;
    }
    TRY(exec__hold(x, &state->held, arena_used(&state->memory) + arena_used(&state->row)));
    state->ordinal++;
    if (plan->function.has_ordinality) {
        x->machine.frame[plan->function.ordinality] = datum_int(state->ordinal);
    }
    *found = true;
    return ERR_OK;
}

static void
function_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    arena_destroy(&((struct function_state *)(void *)node)->memory);
    arena_destroy(&((struct function_state *)(void *)node)->row);
}

const struct node_kind exec__function = {.state_size = sizeof(struct function_state),
    .start = function_start,
    .next = function_next,
    .close = function_close};

/* ---- VIRTUAL
 * ------------------------------------------------------------------------------------------ */

struct virtual_row {
    struct virtual_row *next;
    struct datum values[];
};

struct virtual_state {
    struct node node;
    struct arena memory; /* of the rows: made once per execution */
    struct exec *x;
    struct virtual_row *first, **last;
    struct virtual_row *at;
    size_t held;
    bool loaded;
};

static enum err
virtual_start(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    struct virtual_state *state = (struct virtual_state *)(void *)node;
    state->at = state->first;
    return ERR_OK;
}

static enum err
keep_row(void *arg, const struct datum *values)
{
    struct virtual_state *state = arg;
    const struct plan_relation *relation = &state->node.code->plan->scan.relation;
    struct virtual_row *row = arena_alloc_raw(
        &state->memory, sizeof *row + relation->column_count * sizeof row->values[0]);
    row->next = NULL;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        uint16_t column = relation->columns[i];
        row->values[i] =
            datum_copy(&state->memory, relation->relation->columns[column].type, values[column]);
    }
    *state->last = row;
    state->last = &row->next;
    return exec__hold(state->x, &state->held, arena_used(&state->memory));
}

static enum err
virtual_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct virtual_state *state = (struct virtual_state *)(void *)node;
    const struct plan_relation *relation = &node->code->plan->scan.relation;
    *found = false;
    TRY(task_breathe(task, x->context.diag));
    if (!state->loaded) {
        state->loaded = true;
        state->x = x;
        state->last = &state->first;
        struct arena_mark mark = arena_mark(&x->temp);
        struct eval eval = x->machine.eval;
        eval.arena = &x->temp;
        const struct virtual_table *table = relation->relation->virtual_table;
        enum err err = table->scan(&eval, x->context.catalog, keep_row, state);
        arena_rewind(&x->temp, mark);
        TRY(err);
        state->at = state->first;
    }
    if (state->at == NULL) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < relation->column_count; i++) {
        x->machine.frame[relation->base + relation->columns[i]] = state->at->values[i];
    }
    state->at = state->at->next;
    *found = true;
    return ERR_OK;
}

static void
virtual_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    arena_destroy(&((struct virtual_state *)(void *)node)->memory);
}

const struct node_kind exec__virtual = {.state_size = sizeof(struct virtual_state),
    .start = virtual_start,
    .next = virtual_next,
    .close = virtual_close};

/* ---- REMOTE
 * ------------------------------------------------------------------------------------------ */

struct remote_state {
    struct node node;
    const struct exec_remote_calls *calls; /* who opened a session may be gone before it ends */
    void *stream;                          /* NULL: not opened, or at its end */
    struct datum *values;
    struct store store; /* code->again: the rows so far */
    size_t held;
    bool begun, ended;
};

static enum err
remote_start(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    struct remote_state *state = (struct remote_state *)(void *)node;
    const struct node_code *code = node->code;
    ASSERT(x->context.remote != NULL);
    if (!state->begun) {
        state->begun = true;
        state->calls = x->context.remote->calls;
        state->values = arena_array(
            x->context.arena, (size_t)code->plan->remote->wanted_count + 1, sizeof *state->values);
        if (code->again) {
            store_create(&state->store, &x->spill, row_form_of(&code->saved));
        }
        return ERR_OK;
    }
    ASSERT(code->again);
    store_rewind(&state->store);
    return ERR_OK;
}

static enum err
keep_remote(struct task *task, struct exec *x, struct remote_state *state)
{
    const struct reg_list *saved = &state->node.code->saved;
    uint64_t size = saved->count * sizeof(struct datum);
    for (uint32_t i = 0; i < saved->count; i++) {
        size += saved->by_reference[i] && !state->values[i].null ? state->values[i].size : 0;
    }
    TRY(state->calls->keep(state->stream, size, x->context.diag));
    TRY(store_add(task, &state->store, state->values, NULL));
    store_skip_all(&state->store);
    return exec__hold(x, &state->held, store_memory(&state->store));
}

static enum err
remote_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct remote_state *state = (struct remote_state *)(void *)node;
    const struct node_code *code = node->code;
    const struct exec_remote *remote = x->context.remote;
    *found = false;
    TRY(task_breathe(task, x->context.diag));
    if (code->again) {
        const struct datum *row = NULL;
        TRY(store_next(task, &state->store, &row));
        if (row != NULL) {
            exec__restore(x->machine.frame, &code->saved, row);
            *found = true;
            return ERR_OK;
        }
    }
    if (state->ended) {
        return ERR_OK;
    }
    struct eval eval = x->machine.eval;
    if (state->stream == NULL) {
        struct arena_mark mark = arena_mark(&x->temp);
        eval.arena = &x->temp;
        enum err err = state->calls->begin(
            task, remote->arg, code->plan->remote, x->context.params, &eval, &state->stream);
        arena_rewind(&x->temp, mark);
        TRY(err);
    }
    TRY(state->calls->next(task, state->stream, &eval, state->values, found));
    if (!*found) {
        state->ended = true;
        state->calls->close(task, state->stream);
        state->stream = NULL;
        return ERR_OK;
    }
    exec__restore(x->machine.frame, &code->saved, state->values);
    return code->again ? keep_remote(task, x, state) : ERR_OK;
}

static void
remote_close(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct remote_state *state = (struct remote_state *)(void *)node;
    if (state->stream != NULL) {
        state->calls->close(task, state->stream);
    }
    if (node->code->again && state->begun) {
        store_destroy(task, &state->store);
    }
}

const struct node_kind exec__remote = {.state_size = sizeof(struct remote_state),
    .start = remote_start,
    .next = remote_next,
    .close = remote_close};
