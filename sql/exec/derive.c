/*
 * sql/exec/derive.c - derived values of rows.
 *
 * All of a relation's expressions are one program, with a frame of its own: the columns they read
 * are put into it, and the results taken out.
 */
#include "sql/exec/derive.h"

#include "sql/exec/compile_internal.h"

struct index_deriver {
    struct arena arena;
    const struct relation *relation;
    struct eval_env *env;
    struct datum *frame;
    struct code code;
    slot_t first; /* of the results */
    const struct loose_register *loose;
    uint32_t loose_count;
    struct buffer text;
};

static void
deriver_close(struct index_deriver *deriver)
{
    buffer_destroy(&deriver->text);
    arena_destroy(&deriver->arena);
    mem_free(deriver);
}

static enum err
bind_all(struct task *task, struct index_deriver *deriver, const struct catalog *catalog,
    struct expr **exprs, struct diag *diag)
{
    const struct relation *relation = deriver->relation;
    struct plan_context context = {
        .arena = &deriver->arena, .diag = diag, .catalog = catalog, .env = deriver->env};
    for (uint16_t i = 0; i < relation->derived_count; i++) {
        const struct derived *derived = &relation->derived[i];
        context.text = derived->text;
        TRY(plan_bind_expression(
            task, &context, derived->text, relation, 0, derived->type, derived->typmod, &exprs[i]));
    }
    return ERR_OK;
}

static enum err
compile(
    struct task *task, struct index_deriver *deriver, struct expr *const *exprs, struct diag *diag)
{
    uint32_t count = deriver->relation->derived_count;
    if (task_stack_left(task) < COMPILE_STACK_MAX + 16 * 1024) {
        return diag_set(diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    struct compiler compiler = {.arena = &deriver->arena,
        .diag = diag,
        .stack_start = (uintptr_t)__builtin_frame_address(0)};
    deriver->first = compile__slots(&compiler, count);
    TRY(compile__list(&compiler, exprs, count, deriver->first, &deriver->code));
    deriver->frame = arena_array(&deriver->arena, (size_t)compiler.slots + 1, sizeof(struct datum));
    deriver->loose = compiler.loose;
    deriver->loose_count = compiler.loose_count;
    for (uint32_t i = 0; i < compiler.constant_count; i++) {
        deriver->frame[compiler.constants[i].slot] = compiler.constants[i].value;
    }
    return ERR_OK;
}

enum err
exec_deriver_new(struct task *task, struct eval_env *env, const struct catalog *catalog,
    const struct relation *relation, struct expr *const *exprs, struct index_deriver **result,
    struct diag *diag)
{
    *result = NULL;
    if (relation->derived_count == 0) {
        return ERR_OK;
    }
    struct index_deriver *deriver = mem_zalloc(sizeof *deriver);
    arena_create(&deriver->arena, "derived values");
    deriver->relation = relation;
    deriver->env = env;
    enum err err = ERR_OK;
    if (exprs == NULL) {
        struct expr **bound = arena_array(&deriver->arena, relation->derived_count, sizeof *bound);
        err = bind_all(task, deriver, catalog, bound, diag);
        exprs = bound;
    }
    if (err == ERR_OK) {
        err = compile(task, deriver, exprs, diag);
    }
    if (err != ERR_OK) {
        deriver_close(deriver);
        return err;
    }
    *result = deriver;
    return ERR_OK;
}

static enum err
deriver_open(struct task *task, struct eval_env *env, const struct catalog *catalog,
    const struct relation *relation, struct index_deriver **deriver, struct diag *diag)
{
    return exec_deriver_new(task, env, catalog, relation, NULL, deriver, diag);
}

static enum err
deriver_run(struct task *task, struct index_deriver *deriver, struct arena *memory,
    struct datum *row, struct diag *diag)
{
    struct machine machine = {.frame = deriver->frame,
        .eval = {.task = task, .arena = memory, .diag = diag, .env = deriver->env},
        .text = deriver->text};
    for (uint32_t i = 0; i < deriver->loose_count; i++) {
        deriver->frame[deriver->loose[i].slot] = row[deriver->loose[i].reg];
    }
    enum err err = deriver->code.count == 0 ? ERR_OK : exec__run(&machine, &deriver->code, memory);
    deriver->text = machine.text;
    TRY(err);
    memcpy(&row[deriver->relation->column_count], &deriver->frame[deriver->first],
        deriver->relation->derived_count * sizeof *row);
    return ERR_OK;
}

const struct index_derivation exec_index_derivation = {
    .begin = deriver_open, .run = deriver_run, .end = deriver_close};
