/* sql/exec/sort.c - ORDER BY: a sorter of the child's rows. */
#include "sql/exec/exec_internal.h"

struct sort_state {
    struct node node;
    struct sorter sorter;
    size_t held;
    bool sorted;
};

static enum err
sort_start(struct task *task, struct exec *x, struct node *node)
{
    struct sort_state *state = (struct sort_state *)(void *)node;
    state->sorted = false;
    return exec__start(task, x, node->children[0]);
}

static enum err
read_bound(struct exec *x, const struct node_code *code, uint64_t *bound)
{
    *bound = UINT64_MAX;
    if (!code->sort.has_bound) {
        return ERR_OK;
    }
    struct arena_mark mark = arena_mark(&x->temp);
    enum err err = exec__evaluate_code(x, &code->sort.bound, &x->temp);
    arena_rewind(&x->temp, mark);
    const struct datum *value = &x->machine.frame[code->sort.bound.result];
    if (err == ERR_OK && !value->null && value->i > 0) {
        *bound = (uint64_t)value->i; /* a negative one is LIMIT's to complain about */
    }
    return err;
}

static enum err
load(struct task *task, struct exec *x, struct sort_state *state)
{
    const struct node_code *code = state->node.code;
    struct sorter *sorter = &state->sorter;
    uint64_t bound;
    TRY(read_bound(x, code, &bound));
    if (sorter->context == NULL) {
        sorter_create(sorter, &x->spill, row_form_of(&code->saved), code->sort.keys,
            code->plan->sort.key_count);
    }
    sorter_clear(task, sorter, bound);
    for (;;) {
        bool found = false;
        TRY(exec__next(task, x, state->node.children[0], &found));
        if (!found) {
            break;
        }
        TRY(sorter_add(task, sorter, x->machine.frame, code->saved.regs));
        TRY(exec__hold(x, &state->held, sorter_memory(sorter)));
    }
    TRY(sorter_finish(task, sorter));
    state->sorted = true;
    return exec__hold(x, &state->held, sorter_memory(sorter));
}

static enum err
sort_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct sort_state *state = (struct sort_state *)(void *)node;
    if (!state->sorted) {
        TRY(load(task, x, state));
    }
    const struct datum *row = NULL;
    TRY(task_breathe(task, x->context.diag));
    TRY(sorter_next(task, &state->sorter, &row));
    *found = row != NULL;
    if (*found) {
        exec__restore(x->machine.frame, &node->code->saved, row);
    }
    return ERR_OK;
}

static void
sort_close(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    sorter_destroy(task, &((struct sort_state *)(void *)node)->sorter);
}

const struct node_kind exec__sort = {.state_size = sizeof(struct sort_state),
    .start = sort_start,
    .next = sort_next,
    .close = sort_close};
