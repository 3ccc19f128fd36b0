/*
 * Values against PostgreSQL: every line of tests/oracle/values.tsv is an expression and what
 * PostgreSQL 15 answered (tools/value_oracle.py asked it). The expressions are of a form that this
 * program reads itself, so that types, functions, operators and casts are tested without a binder:
 *
 *     operand                 'text'::type or NULL::type, any number of ::type after it
 *     function(operand, ..)   operand operator operand      operator operand
 *     SET timezone = 'x'      SET datestyle = 'x'
 *
 * Functions are found by their exact argument types.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/value/value.h"
#include "tests/unit/world_run.h"

enum {
    LINE_MAX_SIZE = 16384
};

struct checker {
    struct eval eval;
    struct eval_env env;
    struct diag diag;
    struct arena arena;
    const char *at;
    char time_zone[64];
};

static void
blanks(struct checker *c)
{
    while (*c->at == ' ') {
        c->at++;
    }
}

/* timestamp, numeric(10,2), interval.. */
static bool
read_type(struct checker *c, oid_t *type, int32_t *typmod)
{
    const char *start = c->at;
    while (isalnum((unsigned char)*c->at) || *c->at == '_') {
        c->at++;
    }
    const char *name = arena_strndup(&c->arena, start, (size_t)(c->at - start));
    const struct type *found =
        type_by_name(strcmp(name, "char") == 0 && *c->at == '(' ? "bpchar" : name);
    if (found == NULL) {
        return false;
    }
    *type = found->oid;
    *typmod = -1;
    if (*c->at == '(') {
        int32_t numbers[2] = {0};
        size_t count = 0;
        while (*c->at != ')' && count < 2) {
            char *end = NULL;
            numbers[count++] = (int32_t)strtol(c->at + 1, &end, 10);
            c->at = end;
        }
        c->at++;
        return type_make_typmod(*type, numbers, count, typmod, &c->diag) == ERR_OK;
    }
    return true;
}

static enum err
wrong(struct checker *c, const char *words)
{
    return diag_set(&c->diag, ERR_INTERNAL, "%s: %s", words, c->at);
}

static enum err
cast(struct checker *c, oid_t *type, oid_t to, int32_t typmod, struct datum *value)
{
    const struct function *function = NULL;
    struct datum made = *value;
    switch (cast_find(*type, to, CAST_EXPLICIT, &function)) {
    case CAST_NONE:
        return wrong(c, "no such cast");
    case CAST_RELABEL:
        break;
    case CAST_FUNCTION:
        if (!value->null) {
            TRY(function->call(&c->eval, value, 1, &made));
        }
        break;
    case CAST_TEXT_IO:
        if (!value->null) {
            struct buffer text = {0};
            type_output(&c->env, *type, *value, &text);
            enum err err = type_input(&c->eval, to, -1, slice_of(text.data, text.size), &made);
            buffer_destroy(&text);
            TRY(err);
        }
        break;
    }
    *type = to;
    return type_apply_typmod(&c->eval, to, typmod, true, made, value);
}

static enum err
read_operand(struct checker *c, oid_t *type, struct datum *value)
{
    blanks(c);
    char *text = NULL;
    size_t size = 0;
    if (*c->at == '\'') {
        text = arena_alloc(&c->arena, strlen(c->at));
        for (c->at++; *c->at != '\'' || c->at[1] == '\''; c->at++) {
            if (*c->at == '\0') {
                return wrong(c, "unfinished literal");
            }
            text[size++] = *c->at;
            c->at += *c->at == '\'' ? 1 : 0;
        }
        c->at++;
    } else if (strncmp(c->at, "NULL", 4) == 0) {
        c->at += 4;
    } else {
        return wrong(c, "operand expected");
    }
    bool first = true;
    while (strncmp(c->at, "::", 2) == 0) {
        oid_t to = 0;
        int32_t typmod = -1;
        c->at += 2;
        if (!read_type(c, &to, &typmod)) {
            return wrong(c, "type expected");
        }
        if (!first) {
            TRY(cast(c, type, to, typmod, value));
        } else if (text == NULL) {
            *value = datum_null();
        } else {
            TRY(type_input(&c->eval, to, -1, slice_of(text, size), value));
            struct datum plain = *value;
            TRY(type_apply_typmod(&c->eval, to, typmod, true, plain, value));
        }
        *type = first ? to : *type;
        first = false;
    }
    blanks(c);
    return first ? wrong(c, "type expected") : ERR_OK;
}

static enum err
call(struct checker *c, const struct function *function, const struct datum *args, int count,
    struct datum *value)
{
    for (int i = 0; i < count && (function->flags & FUNCTION_STRICT) != 0; i++) {
        if (args[i].null) {
            *value = datum_null();
            return ERR_OK;
        }
    }
    return function->call(&c->eval, args, count, value);
}

static void
as_text(struct checker *c, oid_t type, struct datum *value)
{
    if (!value->null && type != TYPE_TEXT) {
        struct buffer text = {0};
        type_output(&c->env, type, *value, &text);
        *value = datum_bytes(arena_copy(&c->arena, text.data, text.size), text.size);
        buffer_destroy(&text);
    }
}

static enum err
evaluate_call(struct checker *c, oid_t *type, struct datum *value)
{
    const char *start = c->at;
    while (*c->at != '(') {
        c->at++;
    }
    char *name = arena_strndup(&c->arena, start, (size_t)(c->at - start));
    oid_t types[16];
    struct datum args[16];
    int count = 0;
    c->at++;
    blanks(c);
    while (*c->at != ')') {
        TRY(read_operand(c, &types[count], &args[count]));
        count++;
        if (*c->at == ',') {
            c->at++;
        } else if (*c->at != ')') {
            return wrong(c, "comma expected");
        }
    }
    size_t many = 0;
    const struct function *functions = function_by_name(name, &many);
    for (size_t i = 0; i < many; i++) {
        const struct function *f = &functions[i];
        bool variadic = (f->flags & FUNCTION_VARIADIC) != 0;
        bool fits =
            f->call != NULL && (variadic ? count >= f->arg_required : count == f->arg_count);
        for (int k = 0; k < count && fits; k++) {
            oid_t want = f->args[k < f->arg_count ? k : f->arg_count - 1];
            fits = want == types[k] || want == TYPE_ANY;
        }
        if (fits) {
            *type = f->result;
            for (int k = 0; k < count && (f->flags & FUNCTION_TEXT_ARGS) != 0; k++) {
                as_text(c, types[k], &args[k]);
            }
            return call(c, f, args, count, value);
        }
    }
    return wrong(c, "no such function");
}

static const struct function *
find_operator(const char *name, oid_t left, oid_t right)
{
    size_t many = 0;
    const struct operator_def *def = operator_by_name(name, &many);
    for (size_t i = 0; i < many; i++) {
        if (def[i].left == left && def[i].right == right) {
            return def[i].function;
        }
    }
    return NULL;
}

static enum err
evaluate(struct checker *c, const char *expression, oid_t *type, struct datum *value)
{
    c->at = expression;
    blanks(c);
    if (islower((unsigned char)*c->at)) {
        return evaluate_call(c, type, value);
    }
    oid_t types[2] = {0};
    struct datum args[2];
    int count = 0;
    if (*c->at == '\'' || strncmp(c->at, "NULL", 4) == 0) {
        TRY(read_operand(c, &types[0], &args[0]));
        count = 1;
        if (*c->at == '\0') {
            *type = types[0];
            *value = args[0];
            return ERR_OK;
        }
    }
    const char *start = c->at;
    while (*c->at != ' ' && *c->at != '\0') {
        c->at++;
    }
    char *name = arena_strndup(&c->arena, start, (size_t)(c->at - start));
    TRY(read_operand(c, &types[1], &args[count]));
    const struct function *function = find_operator(name, types[0], types[1]);
    if (function == NULL) {
        return wrong(c, "no such operator");
    }
    *type = function->result;
    return call(c, function, args, count + 1, value);
}

static void
set(struct checker *c, struct task *task, const char *line)
{
    const char *value = strchr(line, '\'') + 1;
    int size = (int)strcspn(value, "'");
    if (strncasecmp(line, "SET timezone", 12) == 0) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", size, value);
        const char *own = time_zone_name(task, name);
        ASSERT(own != NULL);
        (void)snprintf(c->time_zone, sizeof c->time_zone, "%s", own);
    } else {
        c->env.date_style_order = strstr(value, "DMY") != NULL   ? 1
                                  : strstr(value, "YMD") != NULL ? 2
                                                                 : 0;
    }
}

/* What psql would have shown. */
static void
answer(struct checker *c, const char *expression, char *text, size_t size)
{
    oid_t type = 0;
    struct datum value = datum_null();
    diag_clear(&c->diag);
    enum err err = evaluate(c, expression, &type, &value);
    if (err != ERR_OK) {
        (void)snprintf(text, size, "ERROR %s: %s", err_sqlstate(err), c->diag.message);
        return;
    }
    if (value.null) {
        (void)snprintf(text, size, "NULL");
        return;
    }
    struct buffer out = {0};
    type_output(&c->env, type, value, &out);
    /* Through the binary form and back, and as a copy: the same. */
    struct buffer sent = {0};
    type_send(&c->env, type, value, &sent);
    struct datum received = value;
    if (type != TYPE_VOID && type != TYPE_RECORD) {
        ASSERT(
            type_receive(&c->eval, type, -1, slice_of(sent.data, sent.size), &received) == ERR_OK);
        if (datum_compare(type, value, received) != 0) {
            (void)printf("%s: the binary form is another value\n", expression);
            (void)fflush(stdout);
            ASSERT(false);
        }
    }
    buffer_destroy(&sent);
    size_t used = 0;
    for (size_t i = 0; i < out.size && used + 3 < size; i++) {
        uint8_t b = out.data[i];
        if (b == '\n' || b == '\t' || b == '\\') {
            text[used++] = '\\';
            b = b == '\n' ? 'n' : b == '\t' ? 't' : '\\';
        }
        text[used++] = (char)b;
    }
    text[used] = '\0';
    buffer_destroy(&out);
}

struct result {
    const char *path;
    int lines, wrong;
    bool print;
};

static void
check_file(struct task *task, void *arg)
{
    struct result *result = arg;
    struct checker c = {.env = {.world = task_world(task),
                            .time_zone = c.time_zone,
                            .extra_float_digits = 1,
                            .transaction_time = 0}};
    c.eval = (struct eval){.task = task, .arena = &c.arena, .diag = &c.diag, .env = &c.env};
    (void)snprintf(c.time_zone, sizeof c.time_zone, "UTC");
    arena_create(&c.arena, "test");
    FILE *file = fopen(result->path, "r");
    ASSERT(file != NULL);
    static char line[LINE_MAX_SIZE];
    static char got[LINE_MAX_SIZE];
    int number = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#') {
            continue;
        }
        char *tab = strchr(line, '\t');
        if (strncmp(line, "SET ", 4) == 0) {
            set(&c, task, line);
            continue;
        }
        if (tab != NULL) {
            *tab = '\0';
        }
        result->lines++;
        answer(&c, line, got, sizeof got);
        if (result->print) {
            (void)printf("%s\t%s\n", line, got);
        } else if (tab == NULL || strcmp(got, tab + 1) != 0) {
            result->wrong++;
            (void)printf("%s:%d: %s\n    expected %s\n    got      %s\n", result->path, number,
                line, tab == NULL ? "(nothing)" : tab + 1, got);
        }
        arena_reset(&c.arena);
    }
    (void)fclose(file);
    arena_destroy(&c.arena);
}

/* Without a file: the project's own, seen from its top folder. */
int
main(int argc, char **argv)
{
    struct result result = {.path = argc > 1 ? argv[1] : "tests/oracle/values.tsv"};
    run_os(1, check_file, &result);
    (void)printf("%d expressions, %d wrong\n", result.lines, result.wrong);
    return result.wrong == 0 && result.lines > 0 ? 0 : 1;
}
