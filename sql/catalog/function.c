/* sql/catalog/function.c - functions of users: what their kept text says. */
#include "parser/deparse.h"
#include "parser/parser.h"
#include "sql/catalog/catalog_internal.h"

const struct ast_create_function *
catalog_function_definition(struct arena *arena, const struct user_function *function)
{
    struct ast_list *list = NULL;
    struct diag diag = {0};
    if (parser_parse(arena, function->text, strlen(function->text), &list, &diag) != ERR_OK ||
        ast_list_count(list) != 1) {
        return NULL;
    }
    const struct ast_node *body = ast_as_statement(ast_list_at(list, 0))->body;
    return body->kind == AST_CREATE_FUNCTION ? ast_as_create_function(body) : NULL;
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
    return option == NULL ? NULL : ast_as_const(option->value)->text;
}

const char *
catalog_function_body(const struct ast_create_function *definition)
{
    return option_text(definition, "as");
}

const char *
catalog_function_language(const struct ast_create_function *definition)
{
    return option_text(definition, "language");
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
    const char *text = show_type(showing, &plain);
    buffer_add_text(to, text != NULL ? text : type->name);
}

static void
add_params(struct showing *showing, const struct ast_list *list, bool defaults, struct buffer *to)
{
    bool first = true;
    AST_FOREACH(at, list)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        buffer_add_text(to, first ? "" : ", ");
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
        }
    }
}

static char *
finish(struct arena *arena, struct buffer *buffer)
{
    char *text = arena_strndup(arena, (const char *)buffer->data, buffer->size);
    buffer_destroy(buffer);
    return text;
}

char *
catalog_function_arguments(const struct eval_env *env, struct arena *arena,
    const struct ast_create_function *definition, bool defaults)
{
    struct showing showing = {env, arena};
    struct buffer to = {0};
    add_params(&showing, definition->params, defaults, &to);
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
        add_params(&showing, definition->columns, false, &to);
        buffer_add_text(&to, ")");
    } else {
        buffer_add_text(&to, definition->returns_set ? "SETOF " : "");
        add_type(&showing, definition->result, &to);
    }
    return finish(arena, &to);
}
