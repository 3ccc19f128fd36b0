/* sql/session/explain.c - EXPLAIN [ANALYZE]. */
#include <strings.h>

#include "base/assert.h"
#include "sql/session/session_internal.h"

static const struct plan_column explain_column = {
    .name = "QUERY PLAN", .type = TYPE_TEXT, .typmod = -1};

struct output {
    struct task *task;
    struct sql_session *session;
    struct diag *diag;
    const bool *binary;
    const struct plan_column *column;
    enum err err;
};

static const struct plan_column explain_json_column = {
    .name = "QUERY PLAN", .type = TYPE_JSON, .typmod = -1};

static void
put_line(void *arg, const char *text)
{
    struct output *output = arg;
    if (output->err == ERR_OK) {
        struct datum value = datum_bytes(text, strlen(text));
        const struct sql_sink *sink = output->session->sink;
        output->err = sink->row(
            output->task, sink->arg, output->column, &value, 1, output->binary, output->diag);
    }
}

static enum err
read_flag(const struct ast_option *option, bool *flag, struct diag *diag)
{
    if (option->value == NULL) {
        *flag = true;
        return ERR_OK;
    }
    const struct ast_const *value = ast_as_const(option->value);
    if (value->kind == AST_CONST_BOOL) {
        *flag = value->boolean;
    } else if (value->kind == AST_CONST_INTEGER) {
        *flag = value->integer != 0;
    } else if (value->text != NULL &&
               (strcasecmp(value->text, "on") == 0 || strcasecmp(value->text, "true") == 0)) {
        *flag = true;
    } else if (value->text != NULL &&
               (strcasecmp(value->text, "off") == 0 || strcasecmp(value->text, "false") == 0)) {
        *flag = false;
    } else {
        return diag_set(diag, ERR_SYNTAX, "%s requires a Boolean value", option->name);
    }
    return ERR_OK;
}

struct explaining {
    bool analyze, json;
    bool summary_said;
    struct plan_explain_style style;
};

static enum err
read_options(const struct ast_list *options, struct explaining *how, struct diag *diag)
{
    AST_FOREACH(at, options)
    {
        const struct ast_option *option = ast_as_option(*at);
        bool ignored = false;
        if (strcmp(option->name, "analyze") == 0) {
            TRY(read_flag(option, &how->analyze, diag));
        } else if (strcmp(option->name, "costs") == 0) {
            TRY(read_flag(option, &how->style.costs, diag));
        } else if (strcmp(option->name, "timing") == 0) {
            TRY(read_flag(option, &how->style.times, diag));
        } else if (strcmp(option->name, "summary") == 0) {
            TRY(read_flag(option, &how->style.summary, diag));
            how->summary_said = true;
        } else if (strcmp(option->name, "verbose") == 0 || strcmp(option->name, "buffers") == 0 ||
                   strcmp(option->name, "settings") == 0 || strcmp(option->name, "wal") == 0) {
            TRY(read_flag(option, &ignored, diag)); /* they would add lines: none to add */
        } else if (strcmp(option->name, "format") == 0) {
            const struct ast_const *format = ast_as_const(option->value);
            how->json = format->text != NULL && strcasecmp(format->text, "json") == 0;
            if (format->text == NULL || (!how->json && strcasecmp(format->text, "text") != 0)) {
                return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                    "EXPLAIN format \"%s\" is not supported",
                    format->text == NULL ? "" : format->text);
            }
        } else {
            return diag_set(diag, ERR_SYNTAX, "unrecognized EXPLAIN option \"%s\"", option->name);
        }
    }
    if (!how->summary_said) {
        how->style.summary = how->analyze;
    }
    return ERR_OK;
}

bool
explain__is_json(const struct ast_explain *explain)
{
    bool json = false;
    AST_FOREACH(at, explain->options)
    {
        const struct ast_option *option = ast_as_option(*at);
        if (strcmp(option->name, "format") == 0 && option->value != NULL &&
            option->value->kind == AST_CONST) {
            const char *text = ast_as_const(option->value)->text;
            json = text != NULL && strcasecmp(text, "json") == 0;
        }
    }
    return json;
}

/* Shows the plan; ANALYZE: runs it before, in `arena`. started_us: when planning began. */
static enum err
show(struct task *task, struct sql_session *session, const struct planned *planned,
    const struct datum *params, const struct explaining *how, int64_t started_us,
    struct arena *arena, const bool *binary, struct diag *diag)
{
    struct output output = {.task = task,
        .session = session,
        .diag = diag,
        .binary = binary,
        .column = how->json ? &explain_json_column : &explain_column};
    enum err err = ERR_OK;
    struct exec *exec = NULL;
    struct plan_explain_style style = how->style;
    int64_t planned_us = world_clock_us(session->engine->world);
    style.planning_us = planned_us - started_us;
    style.execution_us = -1;
    if (how->analyze) {
        err = planned__open(task, session, planned, arena, params, true, &exec, diag);
        const struct datum *row = NULL;
        while (err == ERR_OK) {
            err = exec_next(task, exec, &row);
            if (row == NULL) {
                break;
            }
        }
        style.execution_us = world_clock_us(session->engine->world) - planned_us;
    }
    const struct plan_places *places = session->remote == NULL ? NULL : &session->remote->places;
    const struct plan_counter *counters = exec == NULL ? NULL : exec_counters(exec);
    if (err == ERR_OK && how->json) {
        struct buffer text = {0};
        plan_explain_json(planned->plan, &session->env, style, counters, places, &text);
        buffer_add_u8(&text, 0);
        put_line(&output, (const char *)text.data);
        buffer_destroy(&text);
        err = output.err;
    } else if (err == ERR_OK) {
        plan_explain(planned->plan, &session->env, style, counters, places, put_line, &output);
        err = output.err;
    }
    if (exec != NULL) {
        exec_close(task, exec);
    }
    return err;
}

/* The plan that EXECUTE would run with these values. */
static enum err
show_execute(struct task *task, struct sql_session *session, const struct ast_execute *execute,
    const struct explaining *how, const struct portal *portal, struct diag *diag)
{
    int64_t started_us = world_clock_us(session->engine->world);
    struct portal inner;
    TRY(utility__execute_portal(task, session, execute, portal->prepared->text, &inner, diag));
    struct prepared *prepared = inner.prepared;
    enum err err = ERR_OK;
    if (!prepared__is_query(prepared)) {
        err = diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "EXPLAIN of this kind of statement is not supported");
    }
    if (err == ERR_OK) {
        err = prepared__plan(task, session, prepared, diag);
    }
    if (err == ERR_OK) {
        err = prepared__fit(task, session, prepared, inner.params, &inner.arena, diag);
    }
    if (err == ERR_OK) {
        struct planned *planned = planned__hold(prepared->planned);
        err = show(task, session, planned, inner.params, how, started_us, &inner.arena,
            portal->binary, diag);
        planned__release(planned);
    }
    portal__destroy(task, &inner);
    return err;
}

enum err
explain__run(struct task *task, struct sql_session *session, const struct ast_explain *explain,
    struct portal *portal, struct diag *diag)
{
    struct explaining how = {.style = {.costs = true, .times = true}};
    TRY(read_options(explain->options, &how, diag));
    const struct ast_node *node = explain->statement;
    bool makes = node->kind == AST_CREATE_TABLE_AS;
    if (makes && how.analyze) {
        return diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "EXPLAIN ANALYZE of CREATE TABLE AS is not supported");
    }
    if (makes) {
        node = ast_as_create_table_as(node)->query;
    } else if (node->kind == AST_DECLARE_CURSOR) {
        node = &ast_as_declare_cursor(node)->query->node;
    }
    switch (node->kind) {
    case AST_EXECUTE:
        return show_execute(task, session, ast_as_execute(node), &how, portal, diag);
    case AST_SELECT:
    case AST_INSERT:
    case AST_UPDATE:
    case AST_DELETE:
        break;
    default:
        return diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "EXPLAIN of this kind of statement is not supported");
    }
    int64_t started_us = world_clock_us(session->engine->world);
    struct planned *planned = NULL;
    TRY(planned__renew(task, session, node, portal->prepared->text, NULL, 0, 0, &planned, diag));
    enum err err =
        show(task, session, planned, NULL, &how, started_us, &portal->arena, portal->binary, diag);
    planned__release(planned);
    return err;
}
