/* sql/plan/routine.c - is a routine's body one that can run? */
#include "parser/parser.h"
#include "sql/plan/planner.h"

struct checked {
    struct task *task;
    struct plan_context *context;
    const struct routine *routine;
    oid_t relation; /* is it used? */
    bool uses;
};

static enum err
check_statement(struct checked *checked, const struct ast_statement *statement, bool last)
{
    struct plan_context *context = checked->context;
    const struct routine *routine = checked->routine;
    bool query = statement->body->kind == AST_SELECT || statement->body->kind == AST_INSERT ||
                 statement->body->kind == AST_UPDATE || statement->body->kind == AST_DELETE;
    const struct routine_result *result =
        last && routine->result.count > 0 ? &routine->result : NULL;
    if (query || statement->body->kind == AST_CALL_STATEMENT) {
        uint32_t count = routine->param_count;
        oid_t *types = arena_array(context->arena, count + 1U, sizeof *types);
        memcpy(types, routine->param_types, count * sizeof *types);
        struct plan_context its = {
            .arena = context->arena,
            .diag = context->diag,
            .catalog = context->catalog,
            .env = context->env,
            .db = context->db,
            .param_types = types,
            .param_count = count,
            .param_max = count,
            .param_names = routine->param_names,
            .param_name_count = count,
            .routine_name = routine->name,
            .result = query ? result : NULL,
        };
        struct plan *plan;
        TRY(plan_make(checked->task, &its, statement->body, &plan));
        for (uint32_t i = 0; i < plan->lock_count; i++) {
            checked->uses |= plan->locks[i].relation == checked->relation;
        }
    }
    if (result != NULL && !query) {
        struct binder binder;
        bind_start(&binder, checked->task, context);
        return bind_shape_mismatch(&binder, result,
            "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.");
    }
    return ERR_OK;
}

static enum err
check_body(struct checked *checked, const struct user_function *function, const char **name)
{
    struct task *task = checked->task;
    struct plan_context *context = checked->context;
    struct binder binder;
    struct routine *routine;
    struct ast_list *list = NULL;
    bool polymorphic;
    bind_start(&binder, task, context);
    TRY(bind_routine(&binder, function, &polymorphic, &routine));
    *name = function->name;
    TRY(parser_parse(context->arena, routine->body, strlen(routine->body), &list, context->diag));
    uint32_t count = ast_list_count(list);
    checked->routine = routine;
    if (polymorphic) {
        return ERR_OK;
    }
    if (count == 0 && routine->result.count > 0) {
        return bind_shape_mismatch(&binder, &routine->result,
            "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.");
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(check_statement(checked, ast_as_statement(ast_list_at(list, i)), i + 1 == count));
    }
    return ERR_OK;
}

enum err
plan_check_routine(struct task *task, struct plan_context *context,
    const struct user_function *function, oid_t relation, bool *uses)
{
    const char *name = NULL;
    struct checked checked = {.task = task, .context = context, .relation = relation};
    enum err err = check_body(&checked, function, &name);
    if (uses != NULL) {
        *uses = relation != 0 && checked.uses;
    }
    if (err != ERR_OK && name != NULL) {
        diag_context(context->diag, "SQL function \"%s\"", name);
        diag_position(context->diag, 0);
    }
    return err;
}
