/* sql/session/explain.c - EXPLAIN [ANALYZE]. */
#include <stdio.h>
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

static enum err
read_options(const struct ast_list *options, bool *analyze, bool *costs, bool *timing, bool *json,
    struct diag *diag)
{
    AST_FOREACH(at, options)
    {
        const struct ast_option *option = ast_as_option(*at);
        bool ignored = false;
        if (strcmp(option->name, "analyze") == 0) {
            TRY(read_flag(option, analyze, diag));
        } else if (strcmp(option->name, "costs") == 0) {
            TRY(read_flag(option, costs, diag));
        } else if (strcmp(option->name, "timing") == 0 || strcmp(option->name, "summary") == 0) {
            TRY(read_flag(option, timing, diag));
        } else if (strcmp(option->name, "verbose") == 0 || strcmp(option->name, "buffers") == 0 ||
                   strcmp(option->name, "settings") == 0 || strcmp(option->name, "wal") == 0) {
            TRY(read_flag(option, &ignored, diag)); /* they would add lines: none to add */
        } else if (strcmp(option->name, "format") == 0) {
            const struct ast_const *format = ast_as_const(option->value);
            *json = format->text != NULL && strcasecmp(format->text, "json") == 0;
            if (format->text == NULL || (!*json && strcasecmp(format->text, "text") != 0)) {
                return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                    "EXPLAIN format \"%s\" is not supported",
                    format->text == NULL ? "" : format->text);
            }
        } else {
            return diag_set(diag, ERR_SYNTAX, "unrecognized EXPLAIN option \"%s\"", option->name);
        }
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

enum err
explain__run(struct task *task, struct sql_session *session, const struct ast_explain *explain,
    struct portal *portal, struct diag *diag)
{
    bool analyze = false;
    bool costs = true;
    bool timing = true;
    bool json = false;
    TRY(read_options(explain->options, &analyze, &costs, &timing, &json, diag));
    switch (explain->statement->kind) {
    case AST_SELECT:
    case AST_INSERT:
    case AST_UPDATE:
    case AST_DELETE:
        break;
    default:
        return diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "EXPLAIN of this kind of statement is not supported");
    }
    struct planned *planned = NULL;
    TRY(planned__renew(
        task, session, explain->statement, portal->prepared->text, NULL, 0, 0, &planned, diag));
    struct output output = {.task = task,
        .session = session,
        .diag = diag,
        .binary = portal->binary,
        .column = json ? &explain_json_column : &explain_column};
    enum err err = ERR_OK;
    struct exec *exec = NULL;
    int64_t start = world_clock_us(session->engine->world);
    if (analyze) {
        err = planned__open(task, session, planned, &portal->arena, NULL, true, &exec, diag);
        const struct datum *row = NULL;
        while (err == ERR_OK) {
            err = exec_next(task, exec, &row);
            if (row == NULL) {
                break;
            }
        }
    }
    const struct plan_places *places = session->remote == NULL ? NULL : &session->remote->places;
    int64_t took = world_clock_us(session->engine->world) - start;
    if (err == ERR_OK && json) {
        struct buffer text = {0};
        plan_explain_json(planned->plan, &session->env, costs,
            exec == NULL ? NULL : exec_counters(exec), places, analyze && timing ? took : -1,
            &text);
        buffer_add_u8(&text, 0);
        put_line(&output, (const char *)text.data);
        buffer_destroy(&text);
        err = output.err;
    } else if (err == ERR_OK) {
        plan_explain(planned->plan, &session->env, costs, exec == NULL ? NULL : exec_counters(exec),
            places, put_line, &output);
        if (analyze && timing) {
            char line[64];
            (void)snprintf(line, sizeof line, "Execution Time: %lld.%03lld ms",
                (long long)(took / 1000), (long long)(took % 1000));
            put_line(&output, line);
        }
        err = output.err;
    }
    if (exec != NULL) {
        exec_close(task, exec);
    }
    planned__release(planned);
    return err;
}
