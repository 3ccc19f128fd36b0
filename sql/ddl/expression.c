/* sql/ddl/expression.c - types and expressions of definitions. */
#include <ctype.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sql/ddl/ddl_internal.h"
#include "sql/plan/plan.h"
#include "sql/value/type_missing.h"

enum {
    TYPE_MODIFIERS_MAX = 8,
    STACK_RESERVE = 16 * 1024,
};

/* ---- types
 * --------------------------------------------------------------------------------------- */

static enum err
undefined_type(struct ddl *ddl, const struct ast_type *type)
{
    bool plain = type->schema == NULL || strcmp(type->schema, "pg_catalog") == 0;
    enum err err =
        plain && type_is_missing(type->name)
            ? diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "type %s is not supported", type->name)
        : type->schema == NULL || strcmp(type->schema, "pg_catalog") == 0
            ? diag_set(ddl->diag, ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist", type->name)
            : diag_set(ddl->diag, ERR_UNDEFINED_OBJECT, "type \"%s.%s\" does not exist",
                  type->schema, type->name);
    return ddl__at(ddl, err, type->node.location);
}

static enum err
resolve_modifiers(struct ddl *ddl, const struct ast_type *type, oid_t oid, int32_t *typmod)
{
    int32_t numbers[TYPE_MODIFIERS_MAX];
    uint32_t count = ast_list_count(type->modifiers);
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_node *node = ast_list_at(type->modifiers, i);
        const struct ast_const *number = node->kind == AST_CONST ? ast_as_const(node) : NULL;
        if (number == NULL || number->kind != AST_CONST_INTEGER || i == TYPE_MODIFIERS_MAX ||
            number->integer > INT32_MAX || number->integer < INT32_MIN) {
            enum err err = diag_set(
                ddl->diag, ERR_SYNTAX, "type modifiers must be simple constants or identifiers");
            return ddl__at(ddl, err, type->node.location);
        }
        numbers[i] = (int32_t)number->integer;
    }
    enum err err = oid == TYPE_INTERVAL ? type_make_interval_typmod(type->interval_fields, numbers,
                                              count, typmod, ddl->diag)
                                        : type_make_typmod(oid, numbers, count, typmod, ddl->diag);
    return ddl__at(ddl, err, type->node.location);
}

enum err
ddl__resolve_type(struct ddl *ddl, const struct ast_type *type, oid_t *oid, int32_t *typmod)
{
    if (type->percent_type) {
        return ddl__unsupported(ddl, "%TYPE", type->node.location);
    }
    const struct type *found = type_named(ddl->context->env, type->schema, type->name);
    if (found == NULL) {
        return undefined_type(ddl, type);
    }
    *oid = found->oid;
    *typmod = -1;
    if (ast_list_count(type->modifiers) > 0 || type->interval_fields != 0) {
        TRY(resolve_modifiers(ddl, type, found->oid, typmod));
    }
    if (type->array_dimensions > 0) {
        if (found->element != 0 || found->array_oid == 0) {
            return undefined_type(ddl, type);
        }
        *oid = found->array_oid;
    }
    if (*oid >= TYPE_USER_FIRST) {
        TRY(ddl__hold_type(ddl, *oid));
    }
    if (type->setof) {
        enum err err =
            diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION, "column cannot be declared SETOF");
        return ddl__at(ddl, err, type->node.location);
    }
    return ERR_OK;
}

enum err
ddl__resolve_column_type(struct ddl *ddl, const struct ast_type *type, struct column *column)
{
    oid_t declared;
    TRY(ddl__resolve_type(ddl, type, &declared, &column->typmod));
    column->domain = type_has_domain(declared) ? declared : 0;
    column->type = catalog_base_type(ddl->catalog, declared, &column->typmod);
    return ERR_OK;
}

enum err
ddl__check_column_type(struct ddl *ddl, const char *name, oid_t oid, int32_t location)
{
    const struct type *type = type_by_oid(oid);
    ASSERT(type != NULL);
    if (type->category == CATEGORY_PSEUDO || type->category == CATEGORY_UNKNOWN) {
        enum err err = diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
            "column \"%s\" has pseudo-type %s", name, type->sql_name);
        return ddl__at(ddl, err, location);
    }
    return ERR_OK;
}

/* ---- binding
 * ------------------------------------------------------------------------------------- */

char *
ddl__text(struct ddl *ddl, int32_t start, int32_t size)
{
    ASSERT(start >= 0 && size >= 0 && (size_t)start + (size_t)size <= ddl->context->text_size);
    return arena_strndup(ddl->arena, ddl->context->text + start, (size_t)size);
}

/* column: its name, for the words of an error, or NULL. */
static enum err
bind_named(struct ddl *ddl, const char *column, const char *text, int32_t start,
    const struct relation *relation, oid_t type, int32_t typmod, struct expr **expr)
{
    struct ddl_context *context = ddl->context;
    enum err err = context->hooks->bind(ddl->task, context, text, relation, type, typmod, expr);
    if (err == ERR_OK) {
        return ERR_OK;
    }
    uint32_t position = ddl->diag->position;
    const char *from = strstr(ddl->diag->message, " but expression is of type ");
    if (err == ERR_DATATYPE_MISMATCH && from != NULL && column != NULL) {
        from = arena_strdup(ddl->arena, from + strlen(" but expression is of type "));
        err = diag_set(ddl->diag, err,
            "column \"%s\" is of type %s but default expression is of type %s", column,
            type_format(ddl->context->env, ddl->arena, type, typmod), from);
        diag_hint(ddl->diag, "You will need to rewrite or cast the expression.");
        position = 0;
    }
    if (err == ERR_UNDEFINED_COLUMN && relation == NULL) {
        err = diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
            "cannot use column reference in DEFAULT expression");
    }
    if (position != 0 && start >= 0) {
        position += parser_position(context->text, context->text_size, start) - 1;
    }
    diag_position(ddl->diag, start >= 0 ? position : 0);
    return err;
}

enum err
ddl__bind(struct ddl *ddl, const char *text, int32_t start, const struct relation *relation,
    oid_t type, int32_t typmod, struct expr **expr)
{
    return bind_named(ddl, NULL, text, start, relation, type, typmod, expr);
}

enum err
ddl__bind_default(struct ddl *ddl, const struct column *column, const char *text, int32_t start,
    const struct relation *relation, struct expr **expr)
{
    return bind_named(ddl, column->name, text, start, relation, column_declared_type(column),
        column_declared_typmod(column), expr);
}

enum err
ddl__evaluate(struct ddl *ddl, struct arena *arena, const struct expr *expr,
    const struct datum *row, struct datum *result)
{
    struct eval eval = {
        .task = ddl->task,
        .arena = arena,
        .diag = ddl->diag,
        .env = ddl->context->env,
    };
    return ddl->context->hooks->evaluate(&eval, expr, row, result);
}

/* ---- what an expression looks at
 * ------------------------------------------------------------------ */

/* Calls visit for every register read and every constant. */
static enum err
walk(struct ddl *ddl, const struct expr *expr, void (*visit)(void *arg, const struct expr *expr),
    void *arg)
{
    if (task_stack_left(ddl->task) < STACK_RESERVE) {
        return diag_set(ddl->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    switch (expr->kind) {
    case EXPR_PARAM:
        return ERR_OK;
    case EXPR_CONST:
    case EXPR_REGISTER:
        visit(arg, expr);
        return ERR_OK;
    case EXPR_SUBPLAN:
        return diag_set(
            ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery in check constraint");
    default:
        break;
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        TRY(walk(ddl, expr->list[i], visit, arg));
    }
    return ERR_OK;
}

static void
mark_used(void *arg, const struct expr *expr)
{
    if (expr->kind == EXPR_REGISTER) {
        ((bool *)arg)[expr->reg] = true;
    }
}

enum err
ddl__columns_used(struct ddl *ddl, const struct expr *expr, bool *used)
{
    return walk(ddl, expr, mark_used, used);
}

struct mention {
    int32_t location;
    const struct expr *expr; /* a register or a constant */
};

struct mentions {
    struct arena *arena;
    struct mention *items;
    size_t count, capacity;
};

static void
note_mention(void *arg, const struct expr *expr)
{
    struct mentions *mentions = arg;
    bool moment = expr->kind == EXPR_CONST && !expr->constant.null &&
                  (expr->type == TYPE_DATE || expr->type == TYPE_TIMESTAMP ||
                      expr->type == TYPE_TIMESTAMPTZ || expr->type >= TYPE_USER_FIRST);
    if (expr->location < 0 || (expr->kind == EXPR_CONST && !moment)) {
        return;
    }
    if (mentions->count == mentions->capacity) {
        size_t capacity = mentions->capacity == 0 ? 16 : mentions->capacity * 2;
        struct mention *items = arena_array(mentions->arena, capacity, sizeof *items);
        if (mentions->count > 0) {
            memcpy(items, mentions->items, mentions->count * sizeof *items);
        }
        mentions->items = items;
        mentions->capacity = capacity;
    }
    mentions->items[mentions->count++] = (struct mention){.location = expr->location, .expr = expr};
}

static int
mention_order(const void *a, const void *b)
{
    const struct mention *x = a;
    const struct mention *y = b;
    return (x->location > y->location) - (x->location < y->location);
}

static bool
is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* The end of an identifier that begins here; text itself if there is none. */
static const char *
skip_identifier(const char *text)
{
    if (*text != '"') {
        while (is_name_byte(*text)) {
            text++;
        }
        return text;
    }
    for (text++; *text != '\0'; text++) {
        if (*text == '"' && text[1] == '"') {
            text++;
        } else if (*text == '"') {
            return text + 1;
        }
    }
    return text;
}

/* The end of a, t.a, s.t.a; blanks around the points are possible. */
static const char *
skip_column_reference(const char *text)
{
    for (;;) {
        const char *end = skip_identifier(text);
        const char *point = end;
        while (isspace((unsigned char)*point)) {
            point++;
        }
        if (*point != '.') {
            return end;
        }
        for (point++; isspace((unsigned char)*point); point++) {
        }
        text = point;
    }
}

/* Behind a literal in quotes. */
static const char *
skip_literal(const char *text)
{
    for (text++; *text != '\0'; text++) {
        if (*text == '\'' && text[1] == '\'') {
            text++;
        } else if (*text == '\'') {
            return text + 1;
        }
    }
    return text;
}

/* As it prints, which means the same under every TimeZone and DateStyle, and on every day. */
static void
add_moment(struct ddl *ddl, const struct expr *constant, struct buffer *to)
{
    struct buffer shown = {0};
    struct eval_env env = *ddl->context->env;
    env.date_style = DATE_STYLE_ISO;
    env.interval_style = INTERVAL_STYLE_POSTGRES;
    type_output(&env, constant->type, constant->constant, &shown);
    buffer_add_text(to, parser_quote_literal(ddl->arena, (const char *)shown.data, shown.size));
    buffer_destroy(&shown);
}

enum err
ddl__column_names(struct ddl *ddl, const struct relation *relation, const char *text,
    const struct expr *expr, const char **result)
{
    struct mentions mentions = {.arena = ddl->arena};
    TRY(walk(ddl, expr, note_mention, &mentions));
    if (mentions.count > 0) {
        qsort(mentions.items, mentions.count, sizeof *mentions.items, mention_order);
    }
    size_t size = strlen(text);
    struct buffer to = {0};
    size_t copied = 0;
    for (size_t i = 0; i < mentions.count; i++) {
        size_t at = (size_t)mentions.items[i].location;
        const struct expr *mentioned = mentions.items[i].expr;
        if (at < copied || at >= size || (mentioned->kind == EXPR_CONST && text[at] != '\'')) {
            continue; /* the same place bound twice (CASE's subject); not a literal as it stands */
        }
        buffer_add(&to, text + copied, at - copied);
        if (mentioned->kind == EXPR_CONST) {
            add_moment(ddl, mentioned, &to);
            copied = (size_t)(skip_literal(text + at) - text);
        } else {
            buffer_add_text(
                &to, parser_quote_ident(ddl->arena, relation->columns[mentioned->reg].name));
            copied = (size_t)(skip_column_reference(text + at) - text);
        }
    }
    buffer_add(&to, text + copied, size - copied);
    *result = ddl__type_names(ddl, arena_strndup(ddl->arena, (const char *)to.data, to.size));
    buffer_destroy(&to);
    return ERR_OK;
}

static enum err
keep(
    struct ddl *ddl, const struct relation *relation, oid_t type, int32_t typmod, const char **text)
{
    struct ddl_context *context = ddl->context;
    return context->hooks->keep == NULL
               ? ERR_OK
               : context->hooks->keep(ddl->task, context, relation, type, typmod, text);
}

enum err
ddl__keep_column(struct ddl *ddl, const struct column *column, const struct relation *relation,
    const char **text)
{
    return keep(ddl, relation, column_declared_type(column), column_declared_typmod(column), text);
}

enum err
ddl__bind_check(struct ddl *ddl, const struct relation *relation, int32_t start, const char **text,
    struct expr **expr, int *single)
{
    TRY(ddl__bind(ddl, *text, start, relation, TYPE_BOOL, -1, expr));
    bool *used = arena_array(ddl->arena, relation->column_count, sizeof *used);
    TRY(ddl__columns_used(ddl, *expr, used));
    int count = 0;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        if (used[i]) {
            *single = i;
            count++;
        }
    }
    if (count != 1) {
        *single = -1;
    }
    TRY(ddl__column_names(ddl, relation, *text, *expr, text));
    return keep(ddl, relation, TYPE_BOOL, -1, text);
}
