/* sql/exec/exec.c - executions: opening, rows, closing. */
#include "sql/catalog/statistics.h"
#include "sql/exec/exec_internal.h"
#include "sql/exec/foreign.h"

enum {
    STACK_RESERVE = 24 * 1024, /* for what the innermost operator calls */
};

static void *
carve(uint8_t **memory, size_t size)
{
    void *piece = *memory;
    *memory += (size + 15) & ~(size_t)15;
    return piece;
}

enum err
exec_open(struct task *task, const struct exec_program *program, const struct exec_context *context,
    struct exec **exec)
{
    size_t stack = context->count ? 2 * program->stack_size : program->stack_size;
    if (task_stack_left(task) < stack + STACK_RESERVE) {
        return diag_set(context->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    uint8_t *memory = arena_alloc(context->arena, program->state_size);
    struct exec *x = carve(&memory, sizeof *x);
    x->program = program;
    x->context = *context;
    arena_create(&x->temp, "expressions");
    x->spill = (struct spill_context){
        .space = context->spill_space, .work_mem = context->work_mem, .diag = context->diag};
    x->hash_spill = x->spill;
    x->hash_spill.work_mem = context->hash_mem;
    struct datum *frame = carve(&memory, program->slot_count * sizeof *frame);
    x->machine = (struct machine){
        .frame = frame,
        .eval = {.task = task,
            .diag = context->diag,
            .env = context->env,
            .snapshot = &x->context.snapshot},
        .exec = x,
    };
    if (program->plan->param_count > 0) {
        ASSERT(context->params != NULL);
        memcpy(frame + program->param_slot, context->params,
            program->plan->param_count * sizeof *frame);
    }
    for (uint32_t i = 0; i < program->constant_count; i++) {
        frame[program->constants[i].slot] = program->constants[i].value;
    }
    x->nodes = carve(&memory, program->node_count * sizeof *x->nodes);
    x->subplans = carve(&memory, program->subplan_count * sizeof *x->subplans);
    x->shared = carve(&memory, program->shared_count * sizeof *x->shared);
    for (uint32_t i = 0; i < program->node_count; i++) {
        x->nodes[i] = carve(&memory, program->nodes[i]->kind->state_size);
        x->nodes[i]->code = program->nodes[i];
    }
    for (uint32_t i = 0; i < program->node_count; i++) {
        for (int j = 0; j < 2; j++) {
            const struct node_code *child = program->nodes[i]->children[j];
            x->nodes[i]->children[j] = child == NULL ? NULL : x->nodes[child->number];
        }
    }
    if (context->count) {
        x->counters =
            arena_array(context->arena, (size_t)program->node_count + 1, sizeof *x->counters);
    }
    *exec = x;
    return ERR_OK;
}

enum err
exec__start(struct task *task, struct exec *x, struct node *node)
{
    if (x->counters != NULL) {
        x->counters[node->code->number].loops++;
    }
    return node->code->kind->start(task, x, node);
}

/* As exec__next, for EXPLAIN ANALYZE. A RESULT's filter is its own business. */
enum err
exec__counted_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    const struct node_code *code = node->code;
    struct plan_counter *counter = &x->counters[code->number];
    struct world *world = task_world(task);
    int64_t start = world_clock_us(world);
    bool passes = true;
    enum err err = ERR_OK;
    do {
        err = code->kind->next(task, x, node, found);
        if (err != ERR_OK || !*found || code->filter.count == 0) {
            break;
        }
        err = exec__passes(x, &code->filter, &passes);
    } while (err == ERR_OK && !passes);
    counter->time_us += world_clock_us(world) - start;
    counter->rows += err == ERR_OK && *found ? 1 : 0;
    return err;
}

enum err
exec_next(struct task *task, struct exec *x, const struct datum **row)
{
    *row = NULL;
    if (x->ended) {
        return ERR_OK;
    }
    struct node *root = x->nodes[x->program->root->number];
    bool found = false;
    x->machine.eval.task = task;
    if (!x->started) {
        x->started = true;
        for (uint32_t i = 0; i < x->program->shared_count; i++) {
            if (x->program->shared[i]->plan->modifies) {
                TRY(exec__shared_finish(task, x, i));
            }
        }
        enum plan_kind kind = root->code->plan->kind;
        if (x->foreign != NULL && kind != PLAN_INSERT && kind != PLAN_UPDATE &&
            kind != PLAN_DELETE) {
            TRY(foreign__finish(task, x->foreign)); /* all rows that change have changed */
        }
        TRY(exec__start(task, x, root));
    }
    TRY(exec__next(task, x, root, &found));
    if (!found) {
        x->ended = true;
        return x->foreign == NULL ? ERR_OK : foreign__finish(task, x->foreign);
    }
    x->row_count += x->program->plan->statement == STATEMENT_SELECT ? 1 : 0;
    *row = x->machine.frame + x->program->plan->result_base;
    return ERR_OK;
}

uint64_t
exec_row_count(const struct exec *exec)
{
    return exec->row_count;
}

const struct plan_counter *
exec_counters(const struct exec *exec)
{
    return exec->counters;
}

void
exec_hear(struct exec *x, struct diag *diag)
{
    x->context.diag = diag;
    x->machine.eval.diag = diag;
    x->spill.diag = diag;
    x->hash_spill.diag = diag;
}

void
exec_close(struct task *task, struct exec *x)
{
    for (uint32_t i = 0; i < x->program->node_count; i++) {
        const struct node_kind *kind = x->program->nodes[i]->kind;
        if (kind->close != NULL) {
            kind->close(task, x, x->nodes[i]);
        }
    }
    const struct plan_node *root = x->program->plan->root;
    if (root->kind == PLAN_INSERT || root->kind == PLAN_UPDATE || root->kind == PLAN_DELETE) {
        statistics_note_changes(x->context.txn, root->modify.relation, x->row_count);
    }
    exec__subplans_close(x);
    exec__shared_close(task, x);
    foreign__destroy(x->foreign);
    buffer_destroy(&x->machine.text);
    arena_destroy(&x->temp);
}

enum err
exec__held_too_much(const struct exec *x)
{
    struct diag *diag = x->context.diag;
    (void)diag_set(diag, ERR_LIMIT, "out of memory");
    diag_detail(diag, "The statement needs more than %llu kB.",
        (unsigned long long)(x->context.memory_max / 1024));
    diag_hint(diag, "What does not go to temporary files (values gathered by an aggregate, rows of "
                    "one key) must fit: let the statement keep fewer of them.");
    return ERR_LIMIT;
}
