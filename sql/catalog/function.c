/* sql/catalog/function.c - functions of users: what their kept text says. */
#include <stdlib.h>

#include "parser/deparse.h"
#include "parser/parser.h"
#include "sql/catalog/catalog_internal.h"

static bool
same_group(const char *a, const char *b)
{
    static const char *const groups[][3] = {{"immutable", "stable", "volatile"},
        {"strict", "called", NULL}, {"definer", "invoker", NULL},
        {"leakproof", "not leakproof", NULL}};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        int found = 0;
        for (int k = 0; k < 3 && groups[i][k] != NULL; k++) {
            found += (strcmp(groups[i][k], a) == 0) + (strcmp(groups[i][k], b) == 0);
        }
        if (found == 2) {
            return true;
        }
    }
    return strcmp(a, b) == 0;
}

/* Does the later option of an ALTER take the place of the earlier one? */
static bool
replaces(const struct ast_option *later, const struct ast_option *earlier)
{
    if (!same_group(later->name, earlier->name)) {
        return false;
    }
    if (strcmp(later->name, "set") != 0) {
        return true;
    }
    const struct ast_set *set = ast_as_set(later->value);
    return set->kind == AST_SET_RESET_ALL ||
           strcmp(set->name, ast_as_set(earlier->value)->name) == 0;
}

static void
add_option(struct arena *arena, struct ast_list *to, struct ast_node *added)
{
    const struct ast_option *option = ast_as_option(added);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < to->count; i++) {
        if (!replaces(option, ast_as_option(to->items[i]))) {
            to->items[kept++] = to->items[i];
        }
    }
    to->count = kept;
    bool resets =
        strcmp(option->name, "set") == 0 && ast_as_set(option->value)->kind != AST_SET_VALUE;
    if (resets) {
        return;
    }
    struct ast_node **items = arena_array(arena, kept + 1U, sizeof *items);
    if (kept > 0) {
        memcpy(items, to->items, kept * sizeof *items);
    }
    items[kept] = added;
    to->items = items;
    to->count = to->capacity = kept + 1;
}

const struct ast_create_function *
catalog_function_definition(struct arena *arena, const struct user_function *function)
{
    struct ast_list *list = NULL;
    struct diag diag = {0};
    if (parser_parse(arena, function->text, strlen(function->text), &list, &diag) != ERR_OK ||
        ast_list_count(list) == 0) {
        return NULL;
    }
    const struct ast_node *body = ast_as_statement(ast_list_at(list, 0))->body;
    if (body->kind != AST_CREATE_FUNCTION) {
        return NULL;
    }
    struct ast_create_function *definition =
        arena_copy(arena, ast_as_create_function(body), sizeof *definition);
    /* Later ALTERs stand behind it. */
    struct ast_list *options = arena_alloc(arena, sizeof *options);
    AST_FOREACH(option, definition->options)
    {
        add_option(arena, options, *option);
    }
    for (uint32_t i = 1; i < ast_list_count(list); i++) {
        const struct ast_node *later = ast_as_statement(ast_list_at(list, i))->body;
        if (later->kind != AST_ALTER_FUNCTION) {
            return NULL;
        }
        AST_FOREACH(option, ast_as_alter_function(later)->options)
        {
            add_option(arena, options, *option);
        }
    }
    definition->options = options;
    return definition;
}

static const struct ast_option *
find_option(const struct ast_create_function *definition, const char *name)
{
    AST_FOREACH(at, definition->options)
    {
        if (strcmp(ast_as_option(*at)->name, name) == 0) {
            return ast_as_option(*at);
        }
    }
    return NULL;
}

bool
catalog_function_is(const struct ast_create_function *definition, const char *option)
{
    return find_option(definition, option) != NULL;
}

static const char *
option_text(const struct ast_create_function *definition, const char *name)
{
    const struct ast_option *option = find_option(definition, name);
    return option == NULL || option->value == NULL ? NULL : ast_as_const(option->value)->text;
}

bool
catalog_function_is_atomic(const struct ast_create_function *definition)
{
    return catalog_function_is(definition, "atomic");
}

const char *
catalog_function_body(const struct ast_create_function *definition)
{
    return option_text(definition, catalog_function_is_atomic(definition) ? "atomic" : "as");
}

const char *
catalog_function_language(const struct ast_create_function *definition)
{
    const char *language = option_text(definition, "language");
    return language == NULL && catalog_function_is_atomic(definition) ? "sql" : language;
}

double
catalog_function_number(
    const struct ast_create_function *definition, const char *option, double otherwise)
{
    const char *text = option_text(definition, option);
    return text == NULL ? otherwise : strtod(text, NULL);
}

char
catalog_function_parallel(const struct ast_create_function *definition)
{
    const char *text = option_text(definition, "parallel");
    return text == NULL ? 'u' : text[0];
}

char *
catalog_function_setting(struct arena *arena, const struct ast_set *set)
{
    char *value = arena_strdup(arena, "");
    AST_FOREACH(at, set->values)
    {
        const struct ast_const *word = (*at)->kind == AST_CONST ? ast_as_const(*at) : NULL;
        value = arena_printf(arena, "%s%s%s", value, value[0] == '\0' ? "" : ", ",
            word == NULL || word->text == NULL ? "" : word->text);
    }
    return value;
}

struct showing {
    const struct eval_env *env;
    struct arena *arena;
};

static const char *
show_type(void *arg, const struct ast_type *type)
{
    const struct showing *showing = arg;
    return catalog_type_text(showing->env, showing->arena, type);
}

static void
add_type(struct showing *showing, const struct ast_type *type, struct buffer *to)
{
    struct ast_type plain = *type;
    plain.setof = false;
    plain.modifiers = NULL; /* parameters have none */
    plain.interval_fields = 0;
    const char *text = show_type(showing, &plain);
    buffer_add_text(to, text != NULL ? text : type->name);
}

static const char *
mode_word(char mode, bool procedure)
{
    return mode == 'o'                ? "OUT "
           : mode == 'b'              ? "INOUT "
           : mode == 'v'              ? "VARIADIC "
           : procedure && mode == 'i' ? "IN "
                                      : "";
}

static void
add_params(struct showing *showing, const struct ast_list *list, bool defaults, bool procedure,
    struct buffer *to)
{
    bool first = true;
    AST_FOREACH(at, list)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        buffer_add_text(to, first ? "" : ", ");
        buffer_add_text(to, mode_word(param->mode, procedure));
        first = false;
        if (param->name != NULL) {
            buffer_printf(to, "%s ", parser_quote_ident(showing->arena, param->name));
        }
        add_type(showing, param->type, to);
        if (param->value != NULL && defaults) {
            struct parser_deparse style = {
                .arena = showing->arena, .arg = showing, .type = show_type};
            buffer_add_text(to, " DEFAULT ");
            parser_deparse_expression(&style, param->value, to);
            bool untyped = param->value->kind == AST_CONST &&
                           (ast_as_const(param->value)->kind == AST_CONST_STRING ||
                               ast_as_const(param->value)->kind == AST_CONST_NULL);
            if (untyped) {
                buffer_add_text(to, "::");
                add_type(showing, param->type, to);
            }
        }
    }
}

/* As a string of SQL. */
static const char *
quoted(struct arena *arena, const char *text)
{
    char *to = arena_alloc(arena, 2 * strlen(text) + 3);
    char *at = to;
    *at++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            *at++ = '\'';
        }
        *at++ = *text;
    }
    *at++ = '\'';
    *at = '\0';
    return to;
}

static char *
finish(struct arena *arena, struct buffer *buffer)
{
    char *text = arena_strndup(arena, (const char *)buffer->data, buffer->size);
    buffer_destroy(buffer);
    return text;
}

const char *
catalog_function_signature(
    const struct eval_env *env, struct arena *arena, const struct user_function *function)
{
    const struct ast_create_function *definition = catalog_function_definition(arena, function);
    struct showing showing = {.env = env, .arena = arena};
    struct buffer to = {0};
    const char *between = "";
    buffer_printf(&to, "%s(", parser_quote_ident(arena, function->name));
    AST_FOREACH(at, definition == NULL ? NULL : definition->params)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        if (param->mode != 'o') {
            buffer_add_text(&to, between);
            add_type(&showing, param->type, &to);
            between = ",";
        }
    }
    buffer_add_text(&to, ")");
    const char *text = arena_strndup(arena, (const char *)to.data, to.size);
    buffer_destroy(&to);
    return text;
}

char *
catalog_function_arguments(const struct eval_env *env, struct arena *arena,
    const struct ast_create_function *definition, bool defaults)
{
    struct showing showing = {env, arena};
    struct buffer to = {0};
    add_params(&showing, definition->params, defaults, definition->kind == 'p', &to);
    return finish(arena, &to);
}

char *
catalog_function_result(
    const struct eval_env *env, struct arena *arena, const struct ast_create_function *definition)
{
    struct showing showing = {env, arena};
    struct buffer to = {0};
    if (ast_list_count(definition->columns) > 0) {
        buffer_add_text(&to, "TABLE(");
        add_params(&showing, definition->columns, false, false, &to);
        buffer_add_text(&to, ")");
        return finish(arena, &to);
    }
    const struct ast_type *result = definition->result;
    uint32_t outs = 0;
    AST_FOREACH(at, definition->params)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        if ((param->mode == 'o' || param->mode == 'b') && definition->result == NULL) {
            result = param->type;
            outs++;
        }
    }
    if (definition->kind == 'p') {
        return NULL;
    }
    buffer_add_text(&to, definition->returns_set ? "SETOF " : "");
    if (outs > 1) {
        buffer_add_text(&to, "record");
    } else {
        add_type(&showing, result, &to);
    }
    return finish(arena, &to);
}

/* ---- pg_get_functiondef -----------------------------------------------------------------------
 */

static void
add_options(struct arena *arena, const struct ast_create_function *definition, struct buffer *to)
{
    static const struct {
        const char *option, *word;
    } words[] = {{"immutable", "IMMUTABLE"}, {"stable", "STABLE"}, {"strict", "STRICT"},
        {"definer", "SECURITY DEFINER"}, {"leakproof", "LEAKPROOF"}};
    size_t start = to->size;
    char parallel = catalog_function_parallel(definition);
    double cost = catalog_function_number(definition, "cost", 100);
    double rows = catalog_function_number(definition, "rows", 1000);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (i == 2 && parallel != 'u') {
            buffer_add_text(to, parallel == 's' ? " PARALLEL SAFE" : " PARALLEL RESTRICTED");
        }
        if (catalog_function_is(definition, words[i].option)) {
            buffer_printf(to, " %s", words[i].word);
        }
    }
    if (cost < 100 || cost > 100) {
        buffer_printf(to, " COST %g", cost);
    }
    if (definition->returns_set && (rows < 1000 || rows > 1000)) {
        buffer_printf(to, " ROWS %g", rows);
    }
    buffer_add_text(to, to->size > start ? "\n" : "");
    AST_FOREACH(at, definition->options)
    {
        if (strcmp(ast_as_option(*at)->name, "set") != 0) {
            continue;
        }
        const struct ast_set *set = ast_as_set(ast_as_option(*at)->value);
        buffer_printf(to, " SET %s TO ", parser_quote_ident(arena, set->name));
        bool first = true;
        AST_FOREACH(value, set->values)
        {
            const struct ast_const *word =
                (*value)->kind == AST_CONST ? ast_as_const(*value) : NULL;
            buffer_printf(to, "%s%s", first ? "" : ", ",
                word == NULL || word->text == NULL ? "''" : quoted(arena, word->text));
            first = false;
        }
        buffer_add_text(to, "\n");
    }
}

static void
add_atomic(struct showing *showing, const struct ast_create_function *definition, bool one,
    struct buffer *to)
{
    const char *body = catalog_function_body(definition);
    struct ast_list *list = NULL;
    struct diag diag = {0};
    struct parser_deparse style = {
        .arena = showing->arena, .pretty = true, .arg = showing, .type = show_type};
    if (parser_parse(showing->arena, body, strlen(body), &list, &diag) != ERR_OK) {
        return;
    }
    if (one) {
        const struct ast_select *select =
            ast_as_select(ast_as_statement(ast_list_at(list, 0))->body);
        buffer_add_text(to, "RETURN ");
        parser_deparse_expression(
            &style, ast_as_target(ast_list_at(select->targets, 0))->value, to);
        buffer_add_text(to, "\n");
        return;
    }
    buffer_add_text(to, "BEGIN ATOMIC\n");
    AST_FOREACH(at, list)
    {
        const struct ast_statement *statement = ast_as_statement(*at);
        if (statement->body->kind == AST_SELECT) {
            parser_deparse_query(&style, ast_as_select(statement->body), to);
        } else {
            buffer_printf(to, " %.*s", statement->size, body + statement->start);
        }
        buffer_add_text(to, ";\n");
    }
    buffer_add_text(to, "END\n");
}

char *
catalog_function_text(
    const struct eval_env *env, struct arena *arena, const struct user_function *function)
{
    const struct ast_create_function *definition = catalog_function_definition(arena, function);
    if (definition == NULL) {
        return NULL;
    }
    struct showing showing = {env, arena};
    struct buffer to = {0};
    bool procedure = definition->kind == 'p';
    const char *body = catalog_function_body(definition);
    buffer_printf(&to, "CREATE OR REPLACE %s %s.%s(%s)\n", procedure ? "PROCEDURE" : "FUNCTION",
        parser_quote_ident(arena, function->schema_name), parser_quote_ident(arena, function->name),
        catalog_function_arguments(env, arena, definition, true));
    if (!procedure) {
        buffer_printf(&to, " RETURNS %s\n", catalog_function_result(env, arena, definition));
    }
    buffer_printf(&to, " LANGUAGE %s\n", catalog_function_language(definition));
    add_options(arena, definition, &to);
    if (catalog_function_is_atomic(definition)) {
        const char *text = ast_as_const(find_option(definition, "atomic")->value)->text;
        bool returns = strncmp(text, "SELECT ", 7) == 0 && strchr(text, ';') == NULL;
        add_atomic(&showing, definition, returns, &to);
        return finish(arena, &to);
    }
    char *tag = arena_strdup(arena, procedure ? "$procedure" : "$function");
    while (strstr(body, tag) != NULL) {
        tag = arena_printf(arena, "%sx", tag);
    }
    buffer_printf(&to, "AS %s$%s%s$\n", tag, body, tag);
    return finish(arena, &to);
}
