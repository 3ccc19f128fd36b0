/* sql/ddl/hooks.c - expressions of definitions through the planner and the executor. In a file of
 * its own, so that tests with hooks of their own need neither. */
#include "sql/ddl/ddl.h"
#include "sql/exec/exec.h"
#include "sql/plan/plan.h"

static struct plan_context
plan_context_of(struct ddl_context *context, const char *text)
{
    return (struct plan_context){
        .arena = context->arena,
        .diag = context->diag,
        .catalog = context->env->catalog,
        .env = context->env,
        .db = context->db,
        .text = text,
    };
}

static enum err
bind(struct task *task, struct ddl_context *context, const char *text,
    const struct relation *relation, oid_t type, int32_t typmod, struct expr **expr)
{
    struct plan_context plan = plan_context_of(context, text);
    return plan_bind_expression(task, &plan, text, relation, 0, type, typmod, expr);
}

static enum err
evaluate(struct eval *eval, const struct expr *expr, const struct datum *row, struct datum *result)
{
    return exec_evaluate(eval, expr, row, NULL, result);
}

static enum err
describe_view(struct task *task, struct ddl_context *context, const char *text,
    const struct ast_select *query, const struct view_rename *rename,
    struct view_definition *definition)
{
    struct plan_context plan = plan_context_of(context, text);
    return plan_describe_view(task, &plan, query, rename, definition);
}

static enum err
check_routine(struct task *task, struct ddl_context *context, const struct user_function *function,
    oid_t relation, bool *uses)
{
    struct plan_context plan = plan_context_of(context, NULL);
    return plan_check_routine(task, &plan, function, relation, uses);
}

static enum err
describe_index(struct task *task, struct ddl_context *context, const struct ast_node *node,
    const struct relation *relation, bool predicate, const char **text, struct expr **expr)
{
    struct plan_context plan = plan_context_of(context, context->text);
    return plan_describe_index(task, &plan, node, relation, predicate, text, expr);
}

static enum err
keep(struct task *task, struct ddl_context *context, const struct relation *relation, oid_t type,
    int32_t typmod, const char **text)
{
    struct plan_context plan = plan_context_of(context, *text);
    return plan_keep_expression(task, &plan, relation, type, typmod, text);
}

static enum err
view_refused(struct task *task, struct ddl_context *context, const struct relation *view,
    const char *verb, const char **why)
{
    struct plan_context plan = plan_context_of(context, NULL);
    return plan_view_refused(task, &plan, view, verb, why);
}

const struct ddl_hooks ddl_default_hooks = {.bind = bind,
    .evaluate = evaluate,
    .describe_view = describe_view,
    .describe_index = describe_index,
    .keep = keep,
    .check_routine = check_routine,
    .view_refused = view_refused};
