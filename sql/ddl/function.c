/*
 * sql/ddl/function.c - CREATE FUNCTION .. LANGUAGE sql, DROP FUNCTION.
 *
 * What is kept is the statement's text. The body is bound once here, as a call with null arguments
 * would bind it, so that it is refused now if it cannot work at all.
 */
#include "base/assert.h"
#include "sql/ddl/ddl_internal.h"
#include "sql/plan/plan.h"

/* "name(integer,text)": what makes a function one of its own. */
static enum err
signature(struct ddl *ddl, const char *name, const struct ast_list *params, char **text)
{
    char *result = arena_printf(ddl->arena, "%s(", name);
    bool first = true;
    AST_FOREACH(at, params)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        oid_t type;
        int32_t typmod;
        TRY(ddl__resolve_type(ddl, param->type, &type, &typmod));
        result = arena_printf(ddl->arena, "%s%s%s", result, first ? "" : ",",
            type_format(ddl->context->env, ddl->arena, type, -1));
        first = false;
    }
    *text = arena_printf(ddl->arena, "%s)", result);
    return ERR_OK;
}

/* The function of this schema and signature; NULL: none. */
static enum err
find(struct ddl *ddl, oid_t schema, const char *name, const char *wanted,
    const struct user_function **found)
{
    const struct user_function *function;
    *found = NULL;
    for (size_t i = 0; (function = catalog_function_at(ddl->catalog, i)) != NULL; i++) {
        char *has;
        if (function->schema != schema || strcmp(function->name, name) != 0) {
            continue;
        }
        const struct ast_create_function *definition =
            catalog_function_definition(ddl->arena, function);
        if (definition == NULL) {
            continue;
        }
        TRY(signature(ddl, name, definition->params, &has));
        if (strcmp(has, wanted) == 0) {
            *found = function;
        }
    }
    return ERR_OK;
}

static enum err
check_parameters(struct ddl *ddl, const struct ast_create_function *statement)
{
    bool defaulted = false;
    if (ast_list_count(statement->params) > FUNCTION_ARGS_MAX) {
        return diag_set(ddl->diag, ERR_TOO_MANY_ARGUMENTS,
            "functions cannot have more than %d arguments", FUNCTION_ARGS_MAX);
    }
    AST_FOREACH(at, statement->params)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        if (param->mode != 'i') {
            return ddl__unsupported(ddl, "a parameter that is OUT, INOUT or VARIADIC", -1);
        }
        if (defaulted && param->value == NULL) {
            return diag_set(ddl->diag, ERR_INVALID_FUNCTION_DEFINITION,
                "input parameters after one with a default value must also have defaults");
        }
        defaulted = param->value != NULL;
        AST_FOREACH(other, statement->params)
        {
            const char *name = ast_as_function_param(*other)->name;
            if (other < at && name != NULL && param->name != NULL &&
                strcmp(name, param->name) == 0) {
                return diag_set(ddl->diag, ERR_INVALID_FUNCTION_DEFINITION,
                    "parameter name \"%s\" used more than once", name);
            }
        }
    }
    return ERR_OK;
}

static enum err
check_statement(struct ddl *ddl, const struct ast_create_function *statement)
{
    const char *language = catalog_function_language(statement);
    if (language == NULL) {
        return diag_set(ddl->diag, ERR_INVALID_FUNCTION_DEFINITION, "no language specified");
    }
    if (strcasecmp(language, "sql") != 0) {
        static const char *const known[] = {"plpgsql", "c", "internal", "plperl", "plpython3u"};
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (strcasecmp(language, known[i]) == 0) {
                return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                    "functions in language \"%s\" are not supported", language);
            }
        }
        return diag_set(
            ddl->diag, ERR_UNDEFINED_OBJECT, "language \"%s\" does not exist", language);
    }
    if (catalog_function_body(statement) == NULL) {
        return diag_set(ddl->diag, ERR_INVALID_FUNCTION_DEFINITION, "no function body specified");
    }
    if (statement->result == NULL && ast_list_count(statement->columns) == 0) {
        return diag_set(
            ddl->diag, ERR_INVALID_FUNCTION_DEFINITION, "function result type must be specified");
    }
    if (catalog_function_is(statement, "definer")) {
        return ddl__unsupported(ddl, "SECURITY DEFINER", -1);
    }
    return check_parameters(ddl, statement);
}

/* A call with nulls: SELECT * FROM schema.name(NULL::type, ..). */
static enum err
try_call(struct ddl *ddl, const char *schema, const struct ast_create_function *statement)
{
    struct ddl_context *context = ddl->context;
    char *text =
        arena_printf(ddl->arena, "SELECT * FROM %s.%s(", parser_quote_ident(ddl->arena, schema),
            parser_quote_ident(ddl->arena, statement->name->name));
    bool first = true;
    AST_FOREACH(at, statement->params)
    {
        oid_t type;
        int32_t typmod;
        TRY(ddl__resolve_type(ddl, ast_as_function_param(*at)->type, &type, &typmod));
        text = arena_printf(ddl->arena, "%s%sNULL::%s", text, first ? "" : ", ",
            type_format(context->env, ddl->arena, type, -1));
        first = false;
    }
    text = arena_printf(ddl->arena, "%s)", text);
    struct ast_list *list = NULL;
    struct view_definition definition;
    TRY(parser_parse(ddl->arena, text, strlen(text), &list, ddl->diag));
    return context->hooks->describe_view(ddl->task, context, NULL,
        ast_as_select(ast_as_statement(ast_list_at(list, 0))->body), NULL, &definition);
}

enum err
ddl__create_function(struct ddl *ddl, const struct ast_create_function *statement)
{
    struct ddl_context *context = ddl->context;
    struct user_function function = {.name = statement->name->name, .owner = context->owner};
    char *wanted;
    TRY(check_statement(ddl, statement));
    TRY(ddl__creation_schema(ddl, statement->name, &function.schema, &function.schema_name));
    TRY(signature(ddl, function.name, statement->params, &wanted));
    function.text =
        ddl__text(ddl, statement->node.location, statement->end - statement->node.location);
    const struct user_function *old;
    TRY(find(ddl, function.schema, function.name, wanted, &old));
    if (old != NULL && !statement->replace) {
        return diag_set(ddl->diag, ERR_DUPLICATE_FUNCTION,
            "function \"%s\" already exists with same argument types", function.name);
    }
    if (old != NULL) {
        TRY(ddl__check_owner(ddl, old->owner, "function", old->name));
        const struct ast_create_function *was = catalog_function_definition(ddl->arena, old);
        const char *before = catalog_function_result(context->env, ddl->arena, was);
        if (strcmp(before, catalog_function_result(context->env, ddl->arena, statement)) != 0) {
            enum err err = diag_set(ddl->diag, ERR_INVALID_FUNCTION_DEFINITION,
                "cannot change return type of existing function");
            diag_hint(ddl->diag, "Use DROP FUNCTION %s first.", wanted);
            return err;
        }
        function.oid = old->oid;
        function.owner = old->owner;
    } else {
        bool taken;
        TRY(catalog_new_oid(ddl->task, context->store, &function.oid, ddl->diag));
        TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_FUNCTION,
            function.schema, wanted, function.oid, &taken, ddl->diag));
        if (taken) {
            return diag_set(ddl->diag, ERR_DUPLICATE_FUNCTION,
                "function \"%s\" already exists with same argument types", function.name);
        }
    }
    TRY(catalog_function_put(ddl->task, context->store, context->txn, &function, ddl->diag));
    TRY(ddl__changed(ddl));
    return try_call(ddl, function.schema_name, statement);
}

/* ---- DROP FUNCTION ----------------------------------------------------------------------------
 */

/* Does a kept text call a function of this name? By the word: rather once too often. */
static bool
mentions(const char *text, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = text; text != NULL && (at = strstr(at, name)) != NULL; at += size) {
        const char *end = at + size;
        end += *end == '"';
        while (*end == ' ') {
            end++;
        }
        if (*end == '(') {
            return true;
        }
    }
    return false;
}

static bool
relation_mentions(const struct relation *relation, const char *name)
{
    bool found = mentions(relation->view_text, name);
    for (uint16_t i = 0; i < relation->column_count && !found; i++) {
        found = mentions(relation->columns[i].default_text, name);
    }
    for (uint16_t i = 0; i < relation->check_count && !found; i++) {
        found = mentions(relation->checks[i].text, name);
    }
    return found;
}

static enum err
check_unused(struct ddl *ddl, const struct user_function *function, const char *shown)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        if (relation->kind != RELATION_VIRTUAL && relation_mentions(relation, function->name)) {
            enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
                "cannot drop function %s because other objects depend on it", shown);
            diag_detail(ddl->diag, "%s %s depends on function %s",
                relation->kind == RELATION_VIEW ? "view" : "table", relation->name, shown);
            diag_hint(ddl->diag, "Use DROP ... CASCADE to drop the dependent objects too.");
            return err;
        }
    }
    return ERR_OK;
}

static enum err
drop_one(struct ddl *ddl, const struct ast_drop_function *statement,
    const struct ast_create_function *item)
{
    struct ddl_context *context = ddl->context;
    const char *const *path = context->env->search_path;
    const struct user_function *function, *found = NULL;
    const char *name = item->name->name;
    char *wanted, *has;
    unsigned count = 0;
    TRY(signature(ddl, name, item->params, &wanted));
    for (size_t i = 0; (function = catalog_function_at(ddl->catalog, i)) != NULL; i++) {
        bool here =
            item->name->schema != NULL && strcmp(item->name->schema, function->schema_name) == 0;
        for (const char *const *at = path; item->name->schema == NULL && at != NULL && *at != NULL;
             at++) {
            here |= strcmp(*at, function->schema_name) == 0;
        }
        const struct ast_create_function *definition =
            here && strcmp(function->name, name) == 0
                ? catalog_function_definition(ddl->arena, function)
                : NULL;
        if (definition == NULL) {
            continue;
        }
        TRY(signature(ddl, name, definition->params, &has));
        if (!item->returns_set || strcmp(has, wanted) == 0) {
            found = function;
            count++;
        }
    }
    const char *shown = name;
    if (item->returns_set) {
        shown = arena_strdup(ddl->arena, "");
        for (const char *at = wanted; *at != '\0'; at++) {
            shown = arena_printf(ddl->arena, "%s%c%s", shown, *at, *at == ',' ? " " : "");
        }
    }
    if (found == NULL && statement->if_exists) {
        ddl__notice(ddl, ERR_OK, "function %s%s does not exist, skipping", shown,
            item->returns_set ? "" : "()");
        return ERR_OK;
    }
    if (found == NULL) {
        return item->returns_set ? diag_set(ddl->diag, ERR_UNDEFINED_FUNCTION,
                                       "function %s does not exist", shown)
                                 : diag_set(ddl->diag, ERR_UNDEFINED_FUNCTION,
                                       "could not find a function named \"%s\"", shown);
    }
    if (count > 1) {
        enum err err =
            diag_set(ddl->diag, ERR_AMBIGUOUS_FUNCTION, "function name \"%s\" is not unique", name);
        diag_hint(ddl->diag, "Specify the argument list to select the function unambiguously.");
        return err;
    }
    TRY(ddl__check_owner(ddl, found->owner, "function", name));
    const struct ast_create_function *definition = catalog_function_definition(ddl->arena, found);
    TRY(signature(ddl, name, definition->params, &has));
    if (statement->cascade) {
        enum err err = check_unused(ddl, found, has);
        if (err != ERR_OK) {
            return ddl__unsupported(ddl, "DROP FUNCTION .. CASCADE of one that is used", -1);
        }
    }
    TRY(check_unused(ddl, found, has));
    TRY(catalog_name_remove(ddl->task, context->store, context->txn, CATALOG_NAME_FUNCTION,
        found->schema, has, ddl->diag));
    TRY(catalog_function_remove(ddl->task, context->store, context->txn, found, ddl->diag));
    return ddl__changed(ddl);
}

enum err
ddl__drop_functions(struct ddl *ddl, const struct ast_drop_function *statement)
{
    AST_FOREACH(at, statement->names)
    {
        TRY(drop_one(ddl, statement, ast_as_create_function(*at)));
    }
    return ERR_OK;
}
