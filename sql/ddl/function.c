/*
 * sql/ddl/function.c - CREATE, ALTER and DROP of functions and procedures.
 *
 * What is kept is the statement's text, with the ALTERs of its options behind it. The body is bound
 * and planned once here, so that it is refused now if it cannot work at all.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "sql/ddl/ddl_internal.h"
#include "sql/plan/plan.h"
#include "sql/plan/routine.h"

static const char *
kind_word(char kind)
{
    return kind == 'p' ? "procedure" : kind == 'r' ? "routine" : "function";
}

static bool
is_input(const struct ast_function_param *param)
{
    return param->mode != 'o';
}

/* ---- finding ----------------------------------------------------------------------------------
 */

/* "name(integer,text)", of its input parameters: what makes a function one of its own. */
static enum err
signature(struct ddl *ddl, const char *name, const struct ast_list *params, const char *between,
    char **text)
{
    char *result = arena_printf(ddl->arena, "%s(", name);
    bool first = true;
    AST_FOREACH(at, params)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        oid_t type;
        int32_t typmod;
        if (!is_input(param)) {
            continue;
        }
        TRY(ddl__resolve_type(ddl, param->type, &type, &typmod));
        result = arena_printf(ddl->arena, "%s%s%s", result, first ? "" : between,
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
        TRY(signature(ddl, name, definition->params, ",", &has));
        if (strcmp(has, wanted) == 0) {
            *found = function;
        }
    }
    return ERR_OK;
}

static bool
is_visible(struct ddl *ddl, const char *schema, const struct user_function *function)
{
    if (schema != NULL) {
        return strcmp(schema, function->schema_name) == 0;
    }
    static const char *const only_public[] = {"public", NULL};
    const char *const *path = ddl->context->env->search_path;
    for (path = path == NULL ? only_public : path; *path != NULL; path++) {
        if (strcmp(*path, function->schema_name) == 0) {
            return true;
        }
    }
    return false;
}

/* The one that a statement names; NULL: none. *shown: as errors call it. */
static enum err
find_named(struct ddl *ddl, const struct ast_create_function *item, char kind,
    const struct user_function **found, const char **shown)
{
    const struct user_function *function;
    const char *name = item->name->name;
    bool said = item->returns_set; /* the parameters are */
    char *wanted, *has, *text;
    unsigned count = 0;
    char its_kind = 'f';
    *found = NULL;
    TRY(signature(ddl, name, item->params, ",", &wanted));
    TRY(signature(ddl, name, item->params, ", ", &text));
    *shown = said ? text : name;
    for (size_t i = 0; (function = catalog_function_at(ddl->catalog, i)) != NULL; i++) {
        bool here =
            strcmp(function->name, name) == 0 && is_visible(ddl, item->name->schema, function);
        const struct ast_create_function *definition =
            here ? catalog_function_definition(ddl->arena, function) : NULL;
        if (definition == NULL || (!said && kind != 'r' && definition->kind != kind)) {
            continue;
        }
        TRY(signature(ddl, name, definition->params, ",", &has));
        if (!said || strcmp(has, wanted) == 0) {
            *found = function;
            its_kind = definition->kind;
            count++;
        }
    }
    if (count > 1) {
        enum err err = diag_set(ddl->diag, ERR_AMBIGUOUS_FUNCTION, "%s name \"%s\" is not unique",
            kind_word(kind), name);
        diag_hint(ddl->diag, "Specify the argument list to select the %s unambiguously.",
            kind_word(kind));
        return err;
    }
    if (*found != NULL && kind != 'r' && its_kind != kind) {
        return diag_set(
            ddl->diag, ERR_WRONG_OBJECT_TYPE, "%s is not a %s", *shown, kind_word(kind));
    }
    return ERR_OK;
}

static enum err
no_such(struct ddl *ddl, const struct ast_create_function *item, char kind, const char *shown)
{
    return item->returns_set ? diag_set(ddl->diag, ERR_UNDEFINED_FUNCTION, "%s %s does not exist",
                                   kind_word(kind == 'r' ? 'f' : kind), shown)
                             : diag_set(ddl->diag, ERR_UNDEFINED_FUNCTION,
                                   "could not find a %s named \"%s\"", kind_word(kind), shown);
}

enum err
ddl__find_function(struct ddl *ddl, const struct ast_create_function *item, char kind, oid_t *oid)
{
    const struct user_function *found;
    const char *shown;
    TRY(find_named(ddl, item, kind, &found, &shown));
    if (found == NULL) {
        return no_such(ddl, item, kind, shown);
    }
    TRY(ddl__check_owner(ddl, found->owner, kind_word(kind), found->name));
    *oid = found->oid;
    return ERR_OK;
}

/* ---- CREATE -----------------------------------------------------------------------------------
 */

#define INVALID(...) diag_set(ddl->diag, ERR_INVALID_FUNCTION_DEFINITION, __VA_ARGS__)

static enum err
check_parameter_name(struct ddl *ddl, const struct ast_create_function *statement,
    const struct ast_function_param *param, const struct ast_list *list)
{
    AST_FOREACH(other, list)
    {
        const struct ast_function_param *its = ast_as_function_param(*other);
        bool both = its != param && its->name != NULL && strcmp(its->name, param->name) == 0;
        bool table = list == statement->columns;
        if (both && !table) {
            return INVALID("parameter name \"%s\" used more than once", param->name);
        }
        if (both) {
            return INVALID("column name \"%s\" used more than once", param->name);
        }
    }
    return ERR_OK;
}

static enum err
check_parameters(struct ddl *ddl, const struct ast_create_function *statement)
{
    bool defaulted = false, variadic = false;
    uint32_t inputs = 0;
    AST_FOREACH(at, statement->params)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        oid_t type;
        int32_t typmod;
        TRY(ddl__resolve_type(ddl, param->type, &type, &typmod));
        if (param->type->setof) {
            return INVALID("functions cannot accept set arguments");
        }
        if (type == TYPE_VOID || type == TYPE_RECORD || type == TYPE_ANY) {
            return INVALID("SQL functions cannot accept type %s",
                type_format(ddl->context->env, ddl->arena, type, -1));
        }
        if (param->name != NULL) {
            TRY(check_parameter_name(ddl, statement, param, statement->params));
        }
        if (!is_input(param)) {
            if (param->value != NULL) {
                return INVALID("only input parameters can have default values");
            }
            continue;
        }
        inputs++;
        if (variadic) {
            return INVALID("VARIADIC parameter must be the last input parameter");
        }
        variadic = param->mode == 'v';
        if (variadic && type_element(type) == 0 && type != TYPE_ANYARRAY) {
            return INVALID("VARIADIC parameter must be an array");
        }
        if (defaulted && param->value == NULL) {
            return INVALID(
                "input parameters after one with a default value must also have defaults");
        }
        defaulted = param->value != NULL;
    }
    AST_FOREACH(at, statement->columns)
    {
        const struct ast_function_param *column = ast_as_function_param(*at);
        if (column->name != NULL) {
            TRY(check_parameter_name(ddl, statement, column, statement->columns));
            TRY(check_parameter_name(ddl, statement, column, statement->params));
        }
    }
    return inputs > ROUTINE_PARAMS_MAX
               ? diag_set(ddl->diag, ERR_TOO_MANY_ARGUMENTS,
                     "functions cannot have more than %d arguments", ROUTINE_PARAMS_MAX)
               : ERR_OK;
}

static bool
is_polymorphic(oid_t type)
{
    return type == TYPE_ANYELEMENT || type == TYPE_ANYARRAY || type == TYPE_ANYENUM;
}

static enum err
check_result(struct ddl *ddl, const struct ast_create_function *statement)
{
    uint32_t outs = 0;
    oid_t out = 0, type = 0;
    int32_t typmod;
    bool polymorphic = false;
    AST_FOREACH(at, statement->params)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        oid_t its;
        TRY(ddl__resolve_type(ddl, param->type, &its, &typmod));
        polymorphic |= is_input(param) && is_polymorphic(its);
        if (param->mode == 'o' || param->mode == 'b') {
            out = its;
            outs++;
        }
    }
    if (statement->kind == 'p') {
        return statement->result == NULL && ast_list_count(statement->columns) == 0
                   ? ERR_OK
                   : diag_set(ddl->diag, ERR_SYNTAX, "procedures have no RETURNS");
    }
    if (ast_list_count(statement->columns) > 0) {
        return outs == 0 ? ERR_OK
                         : INVALID("OUT and INOUT arguments aren't allowed in TABLE functions");
    }
    if (statement->result == NULL) {
        return outs > 0 ? ERR_OK : INVALID("function result type must be specified");
    }
    struct ast_type one = *statement->result;
    one.setof = false;
    const struct relation *relation =
        type_named(ddl->context->env, one.schema, one.name) != NULL
            ? NULL
            : catalog_relation_on(
                  ddl->catalog, ddl->context->env->search_path, one.schema, one.name);
    if (relation != NULL && outs == 0) {
        return ERR_OK;
    }
    if (strcmp(one.name, "trigger") == 0 || strcmp(one.name, "event_trigger") == 0) {
        return ddl__unsupported(ddl, "a function that returns trigger", -1);
    }
    TRY(ddl__resolve_type(ddl, &one, &type, &typmod));
    out = outs > 1 ? TYPE_RECORD : out;
    if (outs > 0 && out != type) {
        return INVALID("function result type must be %s because of OUT parameters",
            type_format(ddl->context->env, ddl->arena, out, -1));
    }
    if (is_polymorphic(type) && !polymorphic) {
        (void)INVALID("cannot determine result data type");
        diag_detail(ddl->diag,
            "A result of type %s requires at least one input of type "
            "anyelement, anyarray, anynonarray, anyenum, anyrange, or "
            "anymultirange.",
            type_format(ddl->context->env, ddl->arena, type, -1));
        return ERR_INVALID_FUNCTION_DEFINITION;
    }
    return ERR_OK;
}

/* Options that exclude each other have one number. */
static int
option_group(const char *name)
{
    static const char *const groups[][3] = {{"immutable", "stable", "volatile"},
        {"strict", "called", NULL}, {"definer", "invoker", NULL},
        {"leakproof", "not leakproof", NULL}, {"as", "atomic", NULL}, {"language", NULL, NULL},
        {"cost", NULL, NULL}, {"rows", NULL, NULL}, {"parallel", NULL, NULL}};
    for (int i = 0; i < (int)(sizeof groups / sizeof groups[0]); i++) {
        for (int k = 0; k < 3; k++) {
            if (groups[i][k] != NULL && strcmp(groups[i][k], name) == 0) {
                return i;
            }
        }
    }
    return -1;
}

static enum err
check_options(struct ddl *ddl, const struct ast_list *options, char kind, bool set)
{
    unsigned seen = 0;
    AST_FOREACH(at, options)
    {
        const struct ast_option *option = ast_as_option(*at);
        int group = option_group(option->name);
        static const char *const of_functions[] = {"strict", "called", "immutable", "stable",
            "volatile", "leakproof", "not leakproof", "cost", "rows", "parallel"};
        for (size_t i = 0; kind == 'p' && i < sizeof of_functions / sizeof of_functions[0]; i++) {
            if (strcmp(of_functions[i], option->name) == 0) {
                return ddl__at(ddl, INVALID("invalid attribute in procedure definition"),
                    option->node.location);
            }
        }
        if (group >= 0 && (seen & 1U << group) != 0) {
            return ddl__at(ddl, diag_set(ddl->diag, ERR_SYNTAX, "conflicting or redundant options"),
                option->node.location);
        }
        seen |= group >= 0 ? 1U << group : 0;
        if (strcmp(option->name, "parallel") == 0) {
            const char *word = ast_as_const(option->value)->text;
            if (strcmp(word, "safe") != 0 && strcmp(word, "unsafe") != 0 &&
                strcmp(word, "restricted") != 0) {
                return diag_set(ddl->diag, ERR_SYNTAX,
                    "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE");
            }
        }
        bool rows = strcmp(option->name, "rows") == 0, cost = strcmp(option->name, "cost") == 0;
        if ((rows || cost) && strtod(ast_as_const(option->value)->text, NULL) <= 0) {
            return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE, "%s must be positive",
                rows ? "ROWS" : "COST");
        }
        if (rows && !set) {
            return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE,
                "ROWS is not applicable when function does not return a set");
        }
        if (strcmp(option->name, "set") == 0 &&
            ast_as_set(option->value)->kind == AST_SET_FROM_CURRENT) {
            return ddl__unsupported(ddl, "SET .. FROM CURRENT of a function", -1);
        }
    }
    return ERR_OK;
}

static enum err
check_language(struct ddl *ddl, const struct ast_create_function *statement)
{
    const char *language = catalog_function_language(statement);
    if (language == NULL) {
        return INVALID("no language specified");
    }
    if (strcasecmp(language, "sql") == 0) {
        return ERR_OK;
    }
    static const char *const known[] = {"plpgsql", "c", "internal", "plperl", "plpython3u"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcasecmp(language, known[i]) == 0) {
            return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "%ss in language \"%s\" are not supported", kind_word(statement->kind), language);
        }
    }
    return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT, "language \"%s\" does not exist", language);
}

static enum err
check_statement(struct ddl *ddl, const struct ast_create_function *statement)
{
    TRY(check_language(ddl, statement));
    TRY(check_options(ddl, statement->options, statement->kind, statement->returns_set));
    if (catalog_function_body(statement) == NULL) {
        return INVALID("no function body specified");
    }
    TRY(check_parameters(ddl, statement));
    return check_result(ddl, statement);
}

static enum err
first_drop(struct ddl *ddl, char kind, const char *wanted)
{
    diag_hint(ddl->diag, "Use DROP %s %s first.", kind == 'p' ? "PROCEDURE" : "FUNCTION", wanted);
    return ERR_INVALID_FUNCTION_DEFINITION;
}

/* The parameters that make a row of the result. */
static const char *
outs_text(
    const struct eval_env *env, struct arena *arena, const struct ast_create_function *definition)
{
    struct ast_list outs = {0};
    struct ast_create_function only = {.kind = 'f', .params = &outs};
    outs.items =
        arena_array(arena, ast_list_count(definition->params) + 1U, sizeof(struct ast_node *));
    AST_FOREACH(at, definition->params)
    {
        if (is_input(ast_as_function_param(*at)) && ast_as_function_param(*at)->mode != 'b') {
            continue;
        }
        struct ast_function_param *param =
            arena_copy(arena, ast_as_function_param(*at), sizeof *param);
        param->mode = 'o';
        outs.items[outs.count++] = &param->node;
    }
    return catalog_function_arguments(env, arena, &only, false);
}

static bool
same_outs(const struct eval_env *env, struct arena *arena, const struct ast_create_function *a,
    const struct ast_create_function *b)
{
    return strcmp(outs_text(env, arena, a), outs_text(env, arena, b)) == 0;
}

/* What OR REPLACE may not change. */
static enum err
check_replacement(struct ddl *ddl, const struct user_function *old,
    const struct ast_create_function *statement, const char *wanted)
{
    const struct eval_env *env = ddl->context->env;
    const struct ast_create_function *was = catalog_function_definition(ddl->arena, old);
    TRY(ddl__check_owner(ddl, old->owner, kind_word(was->kind), old->name));
    if (was->kind != statement->kind) {
        (void)diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "cannot change routine kind");
        diag_detail(ddl->diag, "\"%s\" is a %s.", old->name, kind_word(was->kind));
        return ERR_WRONG_OBJECT_TYPE;
    }
    const char *before = catalog_function_result(env, ddl->arena, was);
    const char *after = catalog_function_result(env, ddl->arena, statement);
    if (before == NULL || after == NULL ? before != after : strcmp(before, after) != 0) {
        (void)INVALID("cannot change return type of existing function");
        return first_drop(ddl, was->kind, wanted);
    }
    if (!same_outs(env, ddl->arena, was, statement)) {
        (void)INVALID("cannot change return type of existing function");
        diag_detail(ddl->diag, "Row type defined by OUT parameters is different.");
        return first_drop(ddl, was->kind, wanted);
    }
    uint32_t count = ast_list_count(was->params);
    for (uint32_t i = 0, k = 0; i < count; i++) {
        const struct ast_function_param *its = ast_as_function_param(ast_list_at(was->params, i));
        const struct ast_function_param *now = NULL;
        while (is_input(its) && k < ast_list_count(statement->params)) {
            now = ast_as_function_param(ast_list_at(statement->params, k++));
            if (is_input(now)) {
                break;
            }
        }
        if (now == NULL) {
            continue;
        }
        if (its->name != NULL && (now->name == NULL || strcmp(its->name, now->name) != 0)) {
            (void)INVALID("cannot change name of input parameter \"%s\"", its->name);
            return first_drop(ddl, was->kind, wanted);
        }
        if (its->value != NULL && now->value == NULL) {
            (void)INVALID("cannot remove parameter defaults from existing function");
            return first_drop(ddl, was->kind, wanted);
        }
    }
    return ERR_OK;
}

static enum err
taken_name(struct ddl *ddl, const char *name, char kind)
{
    return diag_set(ddl->diag, ERR_DUPLICATE_FUNCTION,
        "%s \"%s\" already exists with same argument types", kind_word(kind), name);
}

enum err
ddl__create_function(struct ddl *ddl, const struct ast_create_function *statement)
{
    struct ddl_context *context = ddl->context;
    struct user_function function = {.name = statement->name->name, .owner = context->owner};
    char *wanted;
    TRY(check_statement(ddl, statement));
    TRY(ddl__creation_schema(ddl, statement->name, &function.schema, &function.schema_name));
    TRY(signature(ddl, function.name, statement->params, ",", &wanted));
    function.text =
        ddl__text(ddl, statement->node.location, statement->end - statement->node.location);
    const struct user_function *old;
    TRY(find(ddl, function.schema, function.name, wanted, &old));
    if (old != NULL && !statement->replace) {
        return taken_name(ddl, function.name, statement->kind);
    }
    if (old != NULL) {
        TRY(check_replacement(ddl, old, statement, wanted));
        function.oid = old->oid;
        function.owner = old->owner;
    } else {
        bool taken;
        TRY(catalog_new_oid(ddl->task, context->store, &function.oid, ddl->diag));
        TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_FUNCTION,
            function.schema, wanted, function.oid, &taken, ddl->diag));
        if (taken) {
            return taken_name(ddl, function.name, statement->kind);
        }
    }
    TRY(catalog_function_put(ddl->task, context->store, context->txn, &function, ddl->diag));
    TRY(ddl__changed(ddl));
    return context->check_bodies
               ? context->hooks->check_routine(ddl->task, context, &function, 0, NULL)
               : ERR_OK;
}

/* ---- ALTER ------------------------------------------------------------------------------------
 */

/* Under another name, or in another schema. */
static enum err
move(struct ddl *ddl, const struct user_function *old, struct user_function *function, char kind)
{
    struct ddl_context *context = ddl->context;
    const struct ast_create_function *definition = catalog_function_definition(ddl->arena, old);
    const struct user_function *other;
    char *before, *after;
    bool taken;
    TRY(signature(ddl, old->name, definition->params, ",", &before));
    TRY(signature(ddl, function->name, definition->params, ",", &after));
    TRY(find(ddl, function->schema, function->name, after, &other));
    if (other != NULL) {
        char *shown;
        TRY(signature(ddl, function->name, definition->params, ", ", &shown));
        return diag_set(ddl->diag, ERR_DUPLICATE_FUNCTION, "%s %s already exists in schema \"%s\"",
            kind_word(kind), shown, function->schema_name);
    }
    TRY(catalog_name_remove(ddl->task, context->store, context->txn, CATALOG_NAME_FUNCTION,
        old->schema, before, ddl->diag));
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_FUNCTION,
        function->schema, after, function->oid, &taken, ddl->diag));
    if (taken) {
        return taken_name(ddl, function->name, kind);
    }
    return catalog_function_move(ddl->task, context->store, context->txn, old, function, ddl->diag);
}

static enum err
alter_options(
    struct ddl *ddl, const struct ast_alter_function *statement, struct user_function *function)
{
    const struct ast_create_function *definition =
        catalog_function_definition(ddl->arena, function);
    TRY(check_options(ddl, statement->options, definition->kind, definition->returns_set));
    const struct ast_node *first = ast_list_at(statement->options, 0);
    function->text = arena_printf(ddl->arena, "%s;\nALTER FUNCTION %s %s", function->text,
        parser_quote_ident(ddl->arena, function->name),
        ddl__text(ddl, first->location, statement->end - first->location));
    return ERR_OK;
}

enum err
ddl__alter_function(struct ddl *ddl, const struct ast_alter_function *statement)
{
    struct ddl_context *context = ddl->context;
    const struct user_function *old;
    const char *shown;
    TRY(find_named(ddl, statement->target, statement->kind, &old, &shown));
    if (old == NULL) {
        return no_such(ddl, statement->target, statement->kind, shown);
    }
    TRY(ddl__check_owner(ddl, old->owner, kind_word(statement->kind), old->name));
    struct user_function function = *old;
    if (statement->name != NULL) {
        function.name = statement->name;
        TRY(move(ddl, old, &function, statement->kind));
    } else if (statement->schema != NULL) {
        function.schema = catalog_schema(ddl->catalog, statement->schema);
        function.schema_name = statement->schema;
        if (function.schema == 0) {
            return diag_set(ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist",
                statement->schema);
        }
        if (function.schema != old->schema) {
            TRY(move(ddl, old, &function, statement->kind));
        }
    } else if (statement->owner != NULL) {
        TRY(ddl__new_owner(ddl, statement->owner, &function.owner));
    } else {
        TRY(alter_options(ddl, statement, &function));
    }
    if (statement->owner != NULL || statement->options != NULL) {
        TRY(catalog_function_put(ddl->task, context->store, context->txn, &function, ddl->diag));
    }
    return ddl__changed(ddl);
}

/* ---- DROP -------------------------------------------------------------------------------------
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
    for (uint16_t i = 0; i < relation->derived_count && !found; i++) {
        found = mentions(relation->derived[i].text, name);
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

/* The types as the parser has them: what does not exist cannot be looked up. */
static const char *
as_written(struct ddl *ddl, const struct ast_create_function *item)
{
    char *text = arena_printf(ddl->arena, "%s(", item->name->name);
    bool first = true;
    AST_FOREACH(at, item->params)
    {
        const struct ast_type *type = ast_as_function_param(*at)->type;
        text = arena_printf(ddl->arena, "%s%s%s%s%s", text, first ? "" : ",",
            type->schema == NULL ? "" : type->schema, type->schema == NULL ? "" : ".", type->name);
        first = false;
    }
    return arena_printf(ddl->arena, "%s)", text);
}

const char *
ddl__function_shown(struct ddl *ddl, const struct user_function *function)
{
    const struct ast_create_function *definition =
        catalog_function_definition(ddl->arena, function);
    char *text = NULL;
    bool known = definition != NULL &&
                 signature(ddl, function->name, definition->params, ",", &text) == ERR_OK;
    return known ? text : function->name;
}

enum err
ddl__drop_function(struct ddl *ddl, const struct user_function *function)
{
    struct ddl_context *context = ddl->context;
    TRY(catalog_name_remove(ddl->task, context->store, context->txn, CATALOG_NAME_FUNCTION,
        function->schema, ddl__function_shown(ddl, function), ddl->diag));
    TRY(catalog_function_remove(ddl->task, context->store, context->txn, function, ddl->diag));
    return ddl__changed(ddl);
}

enum err
ddl__drop_functions_of(struct ddl *ddl, oid_t relation, const char *what, bool cascade)
{
    struct ddl_context *context = ddl->context;
    const struct user_function *function;
    for (size_t i = 0; (function = catalog_function_at(ddl->catalog, i)) != NULL; i++) {
        const struct ast_create_function *definition =
            catalog_function_definition(ddl->arena, function);
        bool uses = false;
        char *shown;
        if (definition == NULL || !catalog_function_is_atomic(definition) ||
            context->hooks->check_routine(ddl->task, context, function, relation, &uses) !=
                ERR_OK ||
            !uses) {
            continue;
        }
        TRY(signature(ddl, function->name, definition->params, ",", &shown));
        if (!cascade) {
            enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
                "cannot drop %s because other objects depend on it", what);
            diag_detail(ddl->diag, "function %s depends on %s", shown, what);
            diag_hint(ddl->diag, "Use DROP ... CASCADE to drop the dependent objects too.");
            return err;
        }
        ddl__notice(ddl, ERR_OK, "drop cascades to function %s", shown);
        TRY(ddl__drop_function(ddl, function));
        i = 0; /* in another picture */
    }
    return ERR_OK;
}

static enum err
drop_one(struct ddl *ddl, const struct ast_drop_function *statement,
    const struct ast_create_function *item)
{
    const struct user_function *found;
    const char *shown;
    TRY(find_named(ddl, item, statement->kind, &found, &shown));
    if (found == NULL && statement->if_exists) {
        ddl__notice(ddl, ERR_OK, "%s %s%s does not exist, skipping", kind_word(statement->kind),
            item->returns_set ? as_written(ddl, item) : shown, item->returns_set ? "" : "()");
        return ERR_OK;
    }
    if (found == NULL) {
        return no_such(ddl, item, statement->kind, shown);
    }
    TRY(ddl__check_owner(ddl, found->owner, kind_word(statement->kind), found->name));
    const char *has = ddl__function_shown(ddl, found);
    if (statement->cascade) {
        enum err err = check_unused(ddl, found, has);
        if (err != ERR_OK) {
            return ddl__unsupported(ddl, "DROP FUNCTION .. CASCADE of one that is used", -1);
        }
    }
    TRY(check_unused(ddl, found, has));
    return ddl__drop_function(ddl, found);
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
