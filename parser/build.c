#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "parser/parser_internal.h"

/*
 * The functions behind the grammar's actions. After a failure (p->err) they still return nodes, so
 * that an action never sees NULL; the tree is thrown away.
 */

#define AS(type, node) ((struct ast_##type *)(void *)(node))
#define NODE(x)        ((struct ast_node *)(void *)(x))

void *
parser__node(struct parser *p, enum ast_kind kind, size_t size, int32_t location)
{
    struct ast_node *node = arena_alloc(p->arena, size);
    node->kind = (uint16_t)kind;
    node->depth = 1;
    node->location = location;
    return node;
}

void
parser__above(struct parser *p, void *node, const void *child)
{
    struct ast_node *above = node;
    const struct ast_node *below = child;
    if (below == NULL) {
        return;
    }
    if (below->kind == AST_SELECT && ((const struct ast_select *)child)->into != NULL) {
        parser__fail(p, ((const struct ast_select *)child)->into->node.location, ERR_SYNTAX,
            "SELECT ... INTO is not allowed here");
    }
    if (below->depth >= above->depth) {
        if (below->depth >= AST_DEPTH_MAX) {
            parser__fail(
                p, below->location, ERR_STATEMENT_TOO_COMPLEX, "statement is nested too deeply");
            return;
        }
        above->depth = (uint16_t)(below->depth + 1);
    }
}

void
parser__above_list(struct parser *p, void *node, const struct ast_list *list)
{
    AST_FOREACH(at, list)
    {
        parser__above(p, node, *at);
    }
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct ast_list *
parser__list(struct parser *p, void *item)
{
    struct ast_list *list = arena_alloc(p->arena, sizeof *list);
    return item == NULL ? list : parser__append(p, list, item);
}

struct ast_list *
parser__append(struct parser *p, struct ast_list *list, void *item)
{
    if (list == NULL) {
        return parser__list(p, item);
    }
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity == 0 ? 4 : 2 * list->capacity;
        struct ast_node **items = arena_alloc_raw(p->arena, capacity * sizeof *items);
        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof *items);
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return list;
}

struct ast_list *
parser__concat(struct parser *p, struct ast_list *list, struct ast_list *more)
{
    if (list == NULL) {
        return more;
    }
    AST_FOREACH(at, more)
    {
        parser__append(p, list, *at);
    }
    return list;
}

/* ---- constants ------------------------------------------------------------------------------- */

struct ast_node *
parser__integer(struct parser *p, struct parser_token token)
{
    struct ast_const *node = NEW(AST_CONST, const, token.location);
    node->kind = AST_CONST_INTEGER;
    node->text = token.text;
    node->size = token.size;
    for (uint32_t i = 0; i < token.size; i++) {
        int digit = token.text[i] - '0';
        if (node->integer > (INT64_MAX - digit) / 10) {
            node->kind = AST_CONST_NUMERIC;
            node->integer = 0;
            break;
        }
        node->integer = node->integer * 10 + digit;
    }
    return NODE(node);
}

struct ast_node *
parser__numeric(struct parser *p, struct parser_token token)
{
    struct ast_const *node = NEW(AST_CONST, const, token.location);
    node->kind = AST_CONST_NUMERIC;
    node->text = token.text;
    node->size = token.size;
    return NODE(node);
}

struct ast_node *
parser__string(struct parser *p, enum ast_const_kind kind, struct parser_token token)
{
    struct ast_const *node = NEW(AST_CONST, const, token.location);
    node->kind = kind;
    node->text = token.text;
    node->size = token.size;
    return NODE(node);
}

struct ast_node *
parser__word(struct parser *p, const char *text, int32_t location)
{
    struct parser_token token = {text, (uint32_t)strlen(text), location};
    return parser__string(p, AST_CONST_STRING, token);
}

struct ast_node *
parser__bool_const(struct parser *p, bool value, int32_t location)
{
    struct ast_const *node = NEW(AST_CONST, const, location);
    node->kind = AST_CONST_BOOL;
    node->boolean = value;
    return NODE(node);
}

struct ast_node *
parser__null(struct parser *p, int32_t location)
{
    struct ast_const *node = NEW(AST_CONST, const, location);
    node->kind = AST_CONST_NULL;
    return NODE(node);
}

int32_t
parser__int32(struct parser *p, struct parser_token token)
{
    const struct ast_const *node = AS(const, parser__integer(p, token));
    if (node->kind != AST_CONST_INTEGER || node->integer > INT32_MAX) {
        parser__fail_syntax(p, token.location);
        return 0;
    }
    return (int32_t)node->integer;
}

int64_t
parser__int64(struct parser *p, struct parser_token token)
{
    const struct ast_const *node = AS(const, parser__integer(p, token));
    if (node->kind != AST_CONST_INTEGER) {
        parser__fail_syntax(p, token.location);
        return 0;
    }
    return node->integer;
}

/* A minus before a number belongs to it: only so is -2147483648 an integer. */
struct ast_node *
parser__negate(struct parser *p, struct ast_node *expr, int32_t location)
{
    struct ast_const *number = AS(const, expr);
    if (expr->kind != AST_CONST ||
        (number->kind != AST_CONST_INTEGER && number->kind != AST_CONST_NUMERIC)) {
        return parser__op(p, "-", NULL, expr, location);
    }
    number->node.location = location;
    if (number->text[0] == '-') {
        number->text++;
        number->size--;
    } else {
        number->text = arena_printf(p->arena, "-%s", number->text);
        number->size++;
    }
    if (number->kind == AST_CONST_INTEGER && number->integer != INT64_MIN) {
        number->integer = -number->integer;
    } else if (number->kind == AST_CONST_INTEGER) {
        number->kind = AST_CONST_NUMERIC;
        number->integer = 0;
    } else if (strcmp(number->text, "-9223372036854775808") == 0) {
        number->kind = AST_CONST_INTEGER;
        number->integer = INT64_MIN;
    }
    return expr;
}

struct ast_node *
parser__param(struct parser *p, struct parser_token token)
{
    enum {
        PARAM_MAX = 65535, /* Bind counts them in 16 bits */
    };
    struct ast_param *param = NEW(AST_PARAM, param, token.location);
    for (uint32_t i = 1; i < token.size && param->number <= PARAM_MAX; i++) {
        param->number = param->number * 10 + (uint32_t)(token.text[i] - '0');
    }
    if (param->number == 0 || param->number > PARAM_MAX) {
        parser__fail(p, token.location, ERR_UNDEFINED_PARAMETER, "there is no parameter %s",
            token.size > 20 ? "of that number" : token.text);
    } else if (param->number > p->param_max) {
        p->param_max = param->number;
    }
    return NODE(param);
}

struct ast_node *
parser__privilege(struct parser *p, struct parser_token name, const struct ast_list *columns)
{
    if (ast_list_count(columns) > 0) {
        parser__fail(
            p, name.location, ERR_FEATURE_NOT_SUPPORTED, "privileges of columns are not supported");
    }
    return parser__name(p, name);
}

struct ast_node *
parser__name(struct parser *p, struct parser_token token)
{
    struct ast_name *name = NEW(AST_NAME, name, token.location);
    name->text = token.text;
    return NODE(name);
}

/* ---- expressions ----------------------------------------------------------------------------- */

struct ast_node *
parser__op(struct parser *p, const char *name, struct ast_node *left, struct ast_node *right,
    int32_t location)
{
    struct ast_op *op = NEW(AST_OP, op, location);
    op->name = name;
    op->left = left;
    op->right = right;
    parser__above(p, op, left);
    parser__above(p, op, right);
    return NODE(op);
}

struct ast_node *
parser__qual_op(
    struct parser *p, struct parser_any_name *name, struct ast_node *left, struct ast_node *right)
{
    struct ast_node *node = parser__op(p, name->name, left, right, name->location);
    AS(op, node)->schema = name->schema;
    return node;
}

struct ast_node *
parser__bool(struct parser *p, enum ast_bool_kind kind, struct ast_node *left,
    struct ast_node *right, int32_t location)
{
    struct ast_bool *node = AS(bool, left);
    /* A2: chains are one level. `left` is ours alone, so it can grow. */
    if (kind == AST_BOOL_NOT || left->kind != AST_BOOL || node->kind != kind) {
        node = NEW(AST_BOOL, bool, location);
        node->kind = kind;
        node->list = parser__list(p, left);
        parser__above(p, node, left);
    }
    if (right != NULL) {
        parser__append(p, node->list, right);
        parser__above(p, node, right);
    }
    return NODE(node);
}

struct ast_node *
parser__indirect(struct parser *p, struct ast_node *expr, struct ast_list *indirection)
{
    AST_FOREACH(at, indirection)
    {
        if ((*at)->kind == AST_SUBSCRIPT) {
            struct ast_subscript *subscript = AS(subscript, *at);
            subscript->operand = expr;
            parser__above(p, subscript, expr);
            expr = *at;
            continue;
        }
        struct ast_field *field = NEW(AST_FIELD, field, (*at)->location);
        field->operand = expr;
        field->name = (*at)->kind == AST_NAME ? AS(name, *at)->text : NULL;
        if (field->name == NULL && *at != indirection->items[indirection->count - 1]) {
            parser__fail_here(p, "improper use of \"*\"");
        }
        parser__above(p, field, expr);
        expr = NODE(field);
    }
    return expr;
}

struct ast_node *
parser__column(struct parser *p, struct parser_token first, struct ast_list *indirection)
{
    struct ast_column *column = NEW(AST_COLUMN, column, first.location);
    column->parts[column->count++] = first.text;
    uint32_t used = 0;
    uint32_t count = ast_list_count(indirection);
    while (used < count && indirection->items[used]->kind == AST_NAME) {
        if (column->count == 4) {
            parser__fail(
                p, first.location, ERR_SYNTAX, "improper qualified name (too many dotted names)");
            return NODE(column);
        }
        column->parts[column->count++] = AS(name, indirection->items[used++])->text;
    }
    if (used < count && indirection->items[used]->kind == AST_COLUMN) {
        column->star = true;
        used++;
        if (used < count) {
            parser__fail_here(p, "improper use of \"*\"");
            return NODE(column);
        }
    }
    if (used == count) {
        return NODE(column);
    }
    struct ast_list rest = {.items = indirection->items + used, .count = count - used};
    return parser__indirect(p, NODE(column), &rest);
}

struct ast_call *
parser__call(struct parser *p, struct parser_any_name *name, struct ast_list *args)
{
    struct ast_call *call = NEW(AST_CALL, call, name->location);
    call->schema = name->schema;
    call->name = name->name;
    call->args = args;
    parser__above_list(p, call, args);
    return call;
}

struct ast_node *
parser__grouping(
    struct parser *p, enum ast_grouping_kind kind, struct ast_list *list, int32_t location)
{
    struct ast_grouping *grouping = NEW(AST_GROUPING, grouping, location);
    grouping->kind = kind;
    grouping->list = list;
    parser__above_list(p, grouping, list);
    return NODE(grouping);
}

struct ast_frame *
parser__frame(
    struct parser *p, const struct ast_frame_bound *start, const struct ast_frame_bound *end)
{
    struct ast_frame *frame = arena_alloc(p->arena, sizeof *frame);
    frame->start = *start;
    frame->end = end != NULL ? *end : (struct ast_frame_bound){.kind = AST_CURRENT_ROW};
    return frame;
}

struct ast_node *
parser__special(struct parser *p, const char *name, struct ast_list *args, int32_t location)
{
    struct parser_any_name any = {.schema = "pg_catalog", .name = name, .location = location};
    struct ast_call *call = parser__call(p, &any, args);
    call->special = true;
    return NODE(call);
}

struct ast_node *
parser__list_call(
    struct parser *p, enum ast_list_call_kind kind, struct ast_list *list, int32_t location)
{
    struct ast_list_call *call = NEW(AST_LIST_CALL, list_call, location);
    call->kind = kind;
    call->list = list;
    parser__above_list(p, call, list);
    return NODE(call);
}

struct ast_node *
parser__like(struct parser *p, enum ast_like_kind kind, bool negated, struct ast_node *operand,
    struct ast_node *pattern, struct ast_node *escape, int32_t location)
{
    struct ast_like *like = NEW(AST_LIKE, like, location);
    like->kind = kind;
    like->negated = negated;
    like->operand = operand;
    like->pattern = pattern;
    like->escape = escape;
    parser__above(p, like, operand);
    parser__above(p, like, pattern);
    parser__above(p, like, escape);
    return NODE(like);
}

struct ast_node *
parser__is(struct parser *p, enum ast_is_kind kind, bool negated, struct ast_node *operand,
    int32_t location)
{
    struct ast_is *is = NEW(AST_IS, is, location);
    is->kind = kind;
    is->negated = negated;
    is->operand = operand;
    parser__above(p, is, operand);
    return NODE(is);
}

struct ast_node *
parser__distinct_from(
    struct parser *p, bool negated, struct ast_node *left, struct ast_node *right, int32_t location)
{
    struct ast_distinct_from *node = NEW(AST_DISTINCT_FROM, distinct_from, location);
    node->negated = negated;
    node->left = left;
    node->right = right;
    parser__above(p, node, left);
    parser__above(p, node, right);
    return NODE(node);
}

struct ast_node *
parser__between(struct parser *p, bool negated, bool symmetric, struct ast_node *operand,
    struct ast_node *low, struct ast_node *high, int32_t location)
{
    struct ast_between *between = NEW(AST_BETWEEN, between, location);
    between->negated = negated;
    between->symmetric = symmetric;
    between->operand = operand;
    between->low = low;
    between->high = high;
    parser__above(p, between, operand);
    parser__above(p, between, low);
    parser__above(p, between, high);
    return NODE(between);
}

struct ast_node *
parser__in(
    struct parser *p, bool negated, struct ast_node *left, struct ast_node *right, int32_t location)
{
    struct ast_in *in = NEW(AST_IN, in, location);
    in->negated = negated;
    in->left = left;
    if (right->kind == AST_SUBQUERY) {
        in->query = AS(subquery, right)->query;
    } else {
        in->list = AS(row, right)->list;
    }
    parser__above(p, in, left);
    parser__above(p, in, right);
    return NODE(in);
}

struct ast_node *
parser__any(struct parser *p, const char *op, bool all, struct ast_node *left,
    struct ast_node *right, int32_t location)
{
    struct ast_any *any = NEW(AST_ANY, any, location);
    any->all = all;
    any->op = op;
    any->left = left;
    if (right->kind == AST_SUBQUERY && !AS(subquery, right)->array) {
        any->query = AS(subquery, right)->query;
    } else {
        any->array = right;
    }
    parser__above(p, any, left);
    parser__above(p, any, right);
    return NODE(any);
}

struct ast_node *
parser__cast(struct parser *p, enum ast_cast_form form, struct ast_node *operand,
    struct ast_type *type, int32_t location)
{
    struct ast_cast *cast = NEW(AST_CAST, cast, location);
    cast->form = form;
    cast->operand = operand;
    cast->type = type;
    parser__above(p, cast, operand);
    return NODE(cast);
}

struct ast_node *
parser__row(struct parser *p, bool explicit_row, struct ast_list *list, int32_t location)
{
    struct ast_row *row = NEW(AST_ROW, row, location);
    row->explicit_row = explicit_row;
    row->list = list;
    parser__above_list(p, row, list);
    return NODE(row);
}

struct ast_node *
parser__sql_value(
    struct parser *p, enum ast_sql_value_kind kind, int32_t precision, int32_t location)
{
    struct ast_sql_value *value = NEW(AST_SQL_VALUE, sql_value, location);
    value->kind = kind;
    value->precision = precision;
    return NODE(value);
}

struct ast_node *
parser__subquery(struct parser *p, struct ast_select *query, bool array, int32_t location)
{
    struct ast_subquery *subquery = NEW(AST_SUBQUERY, subquery, location);
    subquery->query = query;
    subquery->array = array;
    parser__above(p, subquery, query);
    return NODE(subquery);
}

/* ---- types and names ------------------------------------------------------------------------- */

struct ast_type *
parser__type(struct parser *p, const char *schema, const char *name, int32_t location)
{
    struct ast_type *type = NEW(AST_TYPE, type, location);
    type->schema = schema;
    type->name = name;
    return type;
}

struct ast_type *
parser__float(struct parser *p, struct parser_token *bits, int32_t location)
{
    int32_t precision = bits == NULL ? 53 : parser__int32(p, *bits);
    if (precision < 1) {
        parser__fail(p, bits->location, ERR_INVALID_PARAMETER_VALUE,
            "precision for type float must be at least 1 bit");
    } else if (precision > 53) {
        parser__fail(p, bits->location, ERR_INVALID_PARAMETER_VALUE,
            "precision for type float must be less than 54 bits");
    }
    return parser__type(p, "pg_catalog", precision <= 24 ? "float4" : "float8", location);
}

struct ast_type *
parser__generic_type(struct parser *p, struct parser_any_name *name, struct ast_list *modifiers)
{
    struct ast_type *type = parser__type(p, name->schema, name->name, name->location);
    type->modifiers = modifiers;
    AST_FOREACH(at, modifiers)
    {
        if ((*at)->kind == AST_NAMED_ARG) {
            parser__fail(
                p, (*at)->location, ERR_SYNTAX, "type modifier cannot have parameter name");
        }
    }
    return type;
}

void
parser__interval(struct parser *p, struct ast_type *type, int64_t fields)
{
    type->interval_fields = (uint32_t)(fields & 0xFF);
    int64_t precision = (fields >> 8) - 1;
    if (precision >= 0) {
        const char *text = arena_printf(p->arena, "%lld", (long long)precision);
        struct parser_token token = {text, (uint32_t)strlen(text), -1};
        type->modifiers = parser__list(p, parser__integer(p, token));
    }
}

struct parser_any_name *
parser__any_name(struct parser *p, struct parser_token first)
{
    struct parser_any_name *name = arena_alloc(p->arena, sizeof *name);
    name->name = first.text;
    name->location = first.location;
    return name;
}

struct parser_any_name *
parser__any_name_of(struct parser *p, struct parser_token first, struct ast_list *attrs)
{
    struct parser_any_name *name = parser__any_name(p, first);
    AST_FOREACH(at, attrs)
    {
        if ((*at)->kind != AST_NAME) {
            parser__fail_syntax(p, (*at)->location);
            break;
        }
        if (name->catalog != NULL) {
            parser__fail(
                p, first.location, ERR_SYNTAX, "improper qualified name (too many dotted names)");
            break;
        }
        name->catalog = name->schema;
        name->schema = name->name;
        name->name = AS(name, *at)->text;
    }
    return name;
}

struct ast_table *
parser__table(struct parser *p, struct parser_any_name *name)
{
    struct ast_table *table = NEW(AST_TABLE, table, name->location);
    table->catalog = name->catalog;
    table->schema = name->schema;
    table->name = name->name;
    return table;
}

void
parser__table_alias(
    struct parser *p, struct ast_node *range, struct parser_token alias, struct ast_list *columns)
{
    (void)p;
    if (alias.text == NULL) {
        return;
    }
    switch (range->kind) {
    case AST_TABLE:
        AS(table, range)->alias = alias.text;
        AS(table, range)->columns = columns;
        break;
    case AST_RANGE_SUBQUERY:
        AS(range_subquery, range)->alias = alias.text;
        AS(range_subquery, range)->columns = columns;
        break;
    case AST_RANGE_FUNCTION:
        AS(range_function, range)->alias = alias.text;
        AS(range_function, range)->columns = columns;
        break;
    case AST_JOIN:
        AS(join, range)->alias = alias.text;
        AS(join, range)->columns = columns;
        break;
    default:
        ASSERT(false && "only what FROM holds can have an alias");
    }
}

/* ---- queries --------------------------------------------------------------------------------- */

struct ast_node *
parser__target(struct parser *p, const char *name, struct ast_node *value, int32_t location)
{
    struct ast_target *target = NEW(AST_TARGET, target, location);
    target->name = name;
    target->value = value;
    parser__above(p, target, value);
    return NODE(target);
}

struct ast_node *
parser__part_target(struct parser *p, struct parser_token name, struct ast_list *indirection)
{
    struct ast_target *target = NEW(AST_TARGET, target, name.location);
    target->name = name.text;
    target->indirection = indirection;
    AST_FOREACH(at, indirection)
    {
        parser__above(p, target, *at);
    }
    return NODE(target);
}

struct ast_list *
parser__multi_assign(struct parser *p, struct ast_list *targets, struct ast_node *value)
{
    if (value->kind == AST_ROW) {
        struct ast_list *list = AS(row, value)->list;
        if (ast_list_count(list) != targets->count) {
            parser__fail(p, value->location, ERR_SYNTAX,
                "number of columns does not match number of values");
            return targets;
        }
        for (uint32_t i = 0; i < targets->count; i++) {
            struct ast_target *target = AS(target, targets->items[i]);
            target->value = list->items[i];
            parser__above(p, target, target->value);
        }
        return targets;
    }
    if (value->kind != AST_SUBQUERY) {
        parser__fail(p, value->location, ERR_FEATURE_NOT_SUPPORTED,
            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression");
    }
    for (uint32_t i = 0; i < targets->count; i++) {
        struct ast_target *target = AS(target, targets->items[i]);
        target->value = value;
        target->column = i;
        target->column_count = targets->count;
        parser__above(p, target, value);
    }
    return targets;
}

struct ast_join *
parser__join(struct parser *p, enum ast_join_kind kind, struct ast_node *left,
    struct ast_node *right, int32_t location)
{
    struct ast_join *join = NEW(AST_JOIN, join, location);
    join->kind = kind;
    join->left = left;
    join->right = right;
    parser__above(p, join, left);
    parser__above(p, join, right);
    return join;
}

struct ast_select *
parser__set_operation(struct parser *p, enum ast_set_operation op, bool all,
    struct ast_select *left, struct ast_select *right, int32_t location)
{
    struct ast_select *select = NEW(AST_SELECT, select, location);
    select->op = op;
    select->all = all;
    select->left = left;
    select->right = right;
    /* INTO of the first SELECT is the whole statement's. */
    select->into = left->into;
    left->into = NULL;
    parser__above(p, select, left);
    parser__above(p, select, right);
    return select;
}

void
parser__select_finish(struct parser *p, struct ast_select *select)
{
    parser__above_list(p, select, select->distinct_on);
    parser__above_list(p, select, select->targets);
    parser__above_list(p, select, select->from);
    parser__above(p, select, select->where);
    parser__above_list(p, select, select->group);
    parser__above(p, select, select->having);
    parser__above_list(p, select, select->windows);
}

struct ast_select *
parser__select_clauses(struct parser *p, struct ast_select *select, struct ast_with *with,
    struct ast_list *order, struct parser_limit *limit, struct ast_list *locking)
{
    if (order != NULL) {
        if (select->order != NULL) {
            parser__fail(
                p, order->items[0]->location, ERR_SYNTAX, "multiple ORDER BY clauses not allowed");
        }
        select->order = order;
        parser__above_list(p, select, order);
    }
    if (locking != NULL) {
        select->locking = parser__concat(p, select->locking, locking);
    }
    if (limit != NULL && limit->offset != NULL) {
        if (select->offset != NULL) {
            parser__fail(
                p, limit->offset->location, ERR_SYNTAX, "multiple OFFSET clauses not allowed");
        }
        select->offset = limit->offset;
        parser__above(p, select, limit->offset);
    }
    if (limit != NULL && limit->limit != NULL) {
        if (select->limit != NULL) {
            parser__fail(
                p, limit->limit->location, ERR_SYNTAX, "multiple LIMIT clauses not allowed");
        }
        if (limit->with_ties && select->order == NULL) {
            parser__fail(
                p, -1, ERR_SYNTAX, "WITH TIES cannot be specified without ORDER BY clause");
        }
        select->limit = limit->limit;
        select->limit_with_ties = limit->with_ties;
        parser__above(p, select, limit->limit);
    }
    if (with != NULL) {
        if (select->with.ctes != NULL) {
            parser__fail(p, with->location, ERR_SYNTAX, "multiple WITH clauses not allowed");
        }
        select->with = *with;
        parser__above_list(p, select, with->ctes);
    }
    return select;
}

struct ast_node *
parser__select_statement(struct parser *p, struct ast_select *select)
{
    if (select->into == NULL) {
        return NODE(select);
    }
    struct ast_create_table_as *create =
        NEW(AST_CREATE_TABLE_AS, create_table_as, select->node.location);
    struct ast_table *table = select->into;
    select->into = NULL;
    create->table = table;
    create->persistence = table->only     ? AST_TEMPORARY
                          : table->sample ? AST_UNLOGGED
                                          : AST_PERMANENT;
    table->only = false;
    table->sample = false;
    create->select_into = true;
    create->query = NODE(select);
    parser__above(p, create, select);
    return NODE(create);
}

/* ---- definitions ----------------------------------------------------------------------------- */

struct ast_node *
parser__option(struct parser *p, const char *name, struct ast_node *value, int32_t location)
{
    struct ast_option *option = NEW(AST_OPTION, option, location);
    option->name = name;
    option->value = value;
    return NODE(option);
}

struct ast_node *
parser__body(struct parser *p, const char *head, int32_t start, int32_t end, int32_t location)
{
    int32_t size = end > start ? end - start : 0;
    struct ast_const *text = NEW(AST_CONST, const, location);
    text->kind = AST_CONST_STRING;
    text->text = arena_printf(p->arena, "%s%.*s", head, size, p->scanner.text + start);
    text->size = (uint32_t)strlen(text->text);
    return parser__option(p, "atomic", NODE(text), location);
}

void
parser__key_actions(struct ast_constraint *constraint, struct parser__key_actions actions)
{
    constraint->on_update = actions.update.action;
    constraint->on_delete = actions.delete.action;
    constraint->set_columns = actions.delete.columns;
}

void
parser__constraint_attributes(
    struct parser *p, struct ast_constraint *constraint, int64_t attributes, int32_t location)
{
    enum ast_constraint_kind kind = constraint->kind;
    const char *what = kind == AST_CONSTRAINT_CHECK     ? "CHECK"
                       : kind == AST_CONSTRAINT_PRIMARY ? "PRIMARY KEY"
                       : kind == AST_CONSTRAINT_UNIQUE  ? "UNIQUE"
                                                        : "FOREIGN KEY";
    int64_t wants = attributes & (ATTRIBUTE_DEFERRABLE | ATTRIBUTE_INITIALLY_DEFERRED);
    if (((attributes & ATTRIBUTE_DEFERRABLE) != 0 &&
            (attributes & ATTRIBUTE_NOT_DEFERRABLE) != 0) ||
        ((attributes & ATTRIBUTE_INITIALLY_DEFERRED) != 0 &&
            (attributes & ATTRIBUTE_INITIALLY_IMMEDIATE) != 0)) {
        parser__fail(p, location, ERR_SYNTAX, "conflicting constraint properties");
    } else if ((attributes & ATTRIBUTE_INITIALLY_DEFERRED) != 0 &&
               (attributes & ATTRIBUTE_NOT_DEFERRABLE) != 0) {
        parser__fail(
            p, location, ERR_SYNTAX, "constraint declared INITIALLY DEFERRED must be DEFERRABLE");
    } else if (wants != 0 && kind == AST_CONSTRAINT_CHECK) {
        parser__fail(p, location, ERR_FEATURE_NOT_SUPPORTED,
            "%s constraints cannot be marked DEFERRABLE", what);
    } else if ((attributes & ATTRIBUTE_NOT_VALID) != 0 && kind != AST_CONSTRAINT_CHECK &&
               kind != AST_CONSTRAINT_FOREIGN) {
        parser__fail(p, location, ERR_FEATURE_NOT_SUPPORTED,
            "%s constraints cannot be marked NOT VALID", what);
    } else if ((attributes & ATTRIBUTE_NO_INHERIT) != 0 && kind != AST_CONSTRAINT_CHECK) {
        parser__fail(p, location, ERR_FEATURE_NOT_SUPPORTED,
            "%s constraints cannot be marked NO INHERIT", what);
    }
    constraint->deferrable = constraint->deferrable || wants != 0;
    constraint->initially_deferred =
        constraint->initially_deferred || (attributes & ATTRIBUTE_INITIALLY_DEFERRED) != 0;
    constraint->not_valid = (attributes & ATTRIBUTE_NOT_VALID) != 0;
    constraint->no_inherit = (attributes & ATTRIBUTE_NO_INHERIT) != 0;
}

struct ast_node *
parser__action(struct parser *p, enum ast_alter_kind kind, const char *name, int32_t location)
{
    struct ast_alter_action *action = NEW(AST_ALTER_ACTION, alter_action, location);
    action->kind = kind;
    action->name = name;
    return NODE(action);
}

struct ast_node *
parser__rename(struct parser *p, enum ast_object object, bool if_exists, struct ast_table *table,
    const char *old_name, const char *new_name, int32_t location)
{
    struct ast_rename *rename = NEW(AST_RENAME, rename, location);
    rename->object = object;
    rename->if_exists = if_exists;
    rename->table = table;
    rename->old_name = old_name;
    rename->new_name = new_name;
    return NODE(rename);
}

void
parser__range(
    struct parser *p, int32_t start, int32_t end, int32_t *range_start, int32_t *range_size)
{
    (void)p;
    ASSERT(start >= 0 && end >= start);
    *range_start = start;
    *range_size = end - start;
}

void
parser__expect_word(struct parser *p, struct parser_token token, const char *word)
{
    if (strcmp(token.text, word) != 0) {
        parser__fail_syntax(p, token.location);
    }
}

struct ast_node *
parser__role_option(struct parser *p, struct parser_token word)
{
    static const char *const known[] = {
        "superuser", "createdb", "createrole", "login", "replication", "bypassrls", "inherit"};
    bool no = strncmp(word.text, "no", 2) == 0;
    const char *name = word.text + (no ? 2 : 0);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        /* INHERIT itself is a keyword; as an identifier it can only be quoted. */
        if (strcmp(name, known[i]) == 0) {
            return parser__option(
                p, known[i], parser__bool_const(p, !no, word.location), word.location);
        }
    }
    parser__fail(p, word.location, ERR_SYNTAX, "unrecognized role option \"%s\"", word.text);
    return parser__option(p, word.text, NULL, word.location);
}

struct ast_node *
parser__drop(struct parser *p, enum ast_object object, bool if_exists, struct ast_list *names,
    bool cascade, int32_t location)
{
    struct ast_drop *drop = NEW(AST_DROP, drop, location);
    drop->object = object;
    drop->if_exists = if_exists;
    drop->names = names;
    drop->cascade = cascade;
    return NODE(drop);
}

struct ast_list *
parser__names_to_tables(struct parser *p, struct ast_list *names)
{
    struct ast_list *tables = parser__list(p, NULL);
    AST_FOREACH(at, names)
    {
        struct parser_any_name any = {.name = AS(name, *at)->text, .location = (*at)->location};
        parser__append(p, tables, parser__table(p, &any));
    }
    return tables;
}

struct ast_node *
parser__alter(struct parser *p, enum ast_object object, bool if_exists, struct ast_table *table,
    struct ast_list *actions, int32_t location)
{
    struct ast_alter_table *alter = NEW(AST_ALTER_TABLE, alter_table, location);
    alter->object = object;
    alter->if_exists = if_exists;
    alter->table = table;
    alter->actions = actions;
    return NODE(alter);
}

struct ast_node *
parser__comment(struct parser *p, enum ast_object object, struct ast_table *table,
    struct parser_any_name *column, const char *text, int32_t location)
{
    struct ast_comment *comment = NEW(AST_COMMENT, comment, location);
    comment->object = object;
    comment->text = text;
    comment->name = table;
    if (column != NULL) {
        struct parser_any_name of = {
            .schema = column->catalog, .name = column->schema, .location = column->location};
        if (of.name == NULL) {
            parser__fail(p, column->location, ERR_SYNTAX, "column name must be qualified");
        }
        comment->name = parser__table(p, &of);
        comment->part = column->name;
    }
    return NODE(comment);
}

/* ---- the rest -------------------------------------------------------------------------------- */

struct ast_set *
parser__set(struct parser *p, enum ast_set_kind kind, const char *name, struct ast_list *values)
{
    struct ast_set *set = NEW(AST_SET, set, -1);
    set->kind = kind;
    set->name = name;
    set->values = values;
    return set;
}

struct ast_node *
parser__transaction(struct parser *p, enum ast_transaction_kind kind, int32_t location)
{
    struct ast_transaction *transaction = NEW(AST_TRANSACTION, transaction, location);
    transaction->kind = kind;
    transaction->modes = (struct ast_transaction_modes){AST_ISOLATION_NONE, -1, -1};
    return NODE(transaction);
}

struct ast_transaction_modes
parser__modes(struct ast_transaction_modes first, struct ast_transaction_modes more)
{
    return (struct ast_transaction_modes){
        .isolation = more.isolation != AST_ISOLATION_NONE ? more.isolation : first.isolation,
        .read_only = more.read_only >= 0 ? more.read_only : first.read_only,
        .deferrable = more.deferrable >= 0 ? more.deferrable : first.deferrable};
}

struct ast_node *
parser__explain(
    struct parser *p, struct ast_list *options, struct ast_node *statement, int32_t location)
{
    struct ast_explain *explain = NEW(AST_EXPLAIN, explain, location);
    explain->options = options;
    explain->statement = statement;
    return NODE(explain);
}

struct ast_node *
parser__fetch(struct parser *p, enum ast_fetch_direction direction, int64_t count, const char *name)
{
    struct ast_fetch *fetch = NEW(AST_FETCH, fetch, -1);
    fetch->direction = direction;
    fetch->count = count;
    fetch->name = name;
    return NODE(fetch);
}

struct ast_node *
parser__vacuum(struct parser *p, bool vacuum, struct ast_list *options, struct ast_list *tables,
    int32_t location)
{
    struct ast_vacuum *node = NEW(AST_VACUUM, vacuum, location);
    node->vacuum = vacuum;
    node->options = options;
    node->tables = tables;
    return NODE(node);
}

/* ---- sagas ------------------------------------------------------------------------------- */

/* A definition's items, one after the other. */
struct saga_items {
    struct parser *p;
    struct ast_list *items;
    uint32_t at;
};

static struct ast_node *
saga_next(struct saga_items *items)
{
    return items->at < ast_list_count(items->items) ? ast_list_at(items->items, items->at) : NULL;
}

/* The next item is this word, which is taken then. */
static bool
saga_word(struct saga_items *items, const char *word)
{
    struct ast_node *next = saga_next(items);
    bool is = next != NULL && next->kind == AST_OPTION && strcmp(AS(option, next)->name, word) == 0;
    items->at += is;
    return is;
}

static void
saga_wrong(struct saga_items *items)
{
    struct ast_node *next = saga_next(items);
    if (next != NULL) {
        parser__fail_syntax(items->p, next->location);
    } else {
        parser__fail(items->p, -1, ERR_SYNTAX, "syntax error at end of input");
    }
}

static const char *
saga_string(struct saga_items *items)
{
    struct ast_node *next = saga_next(items);
    if (next == NULL || next->kind != AST_CONST || AS(const, next)->kind != AST_CONST_STRING) {
        saga_wrong(items);
        return "";
    }
    items->at++;
    return AS(const, next)->text;
}

static int32_t
saga_number(struct saga_items *items)
{
    struct ast_node *next = saga_next(items);
    if (next == NULL || next->kind != AST_CONST || AS(const, next)->kind != AST_CONST_INTEGER) {
        saga_wrong(items);
        return 0;
    }
    items->at++;
    return (int32_t)AS(const, next)->integer;
}

/* Behind STEP. */
static struct ast_saga_step *
saga_step(struct saga_items *items)
{
    struct ast_node *name = saga_next(items);
    items->at++;
    struct ast_node *next = saga_next(items);
    if (name == NULL || name->kind != AST_OPTION || next == NULL || next->kind != AST_SAGA_STEP) {
        items->at -= name == NULL || name->kind != AST_OPTION;
        saga_wrong(items);
        return NULL;
    }
    items->at++;
    struct ast_saga_step *step = AS(saga_step, next);
    step->name = AS(option, name)->name;
    step->node.location = name->location;
    step->retry = -1;
    if (!saga_word(items, "do")) {
        saga_wrong(items);
        return NULL;
    }
    step->doing = saga_string(items);
    return step;
}

/* One more word of a step; false: it is none. */
static bool
saga_clause(struct saga_items *items, struct ast_saga_step *step)
{
    if (saga_word(items, "undo")) {
        step->undo_auto = saga_word(items, "auto");
        step->undoing = step->undo_auto ? NULL : saga_string(items);
    } else if (saga_word(items, "retry")) {
        step->retry = saga_number(items);
        if (saga_word(items, "backoff")) {
            step->backoff = saga_string(items);
            step->backoff_to = saga_word(items, "to") ? saga_string(items) : NULL;
        }
    } else if (saga_word(items, "timeout")) {
        step->timeout = saga_string(items);
    } else if (saga_word(items, "expect")) {
        step->expect_rows = saga_word(items, "rows");
        if (!step->expect_rows) {
            saga_wrong(items);
        }
    } else if (saga_word(items, "pivot")) {
        step->pivot = true;
    } else if (saga_word(items, "retriable")) {
        step->retriable = true;
    } else {
        return false;
    }
    return true;
}

struct ast_node *
parser__create_saga(struct parser *p, const char *name, struct ast_list *params,
    struct ast_list *list, int32_t location)
{
    struct ast_create_saga *create = NEW(AST_CREATE_SAGA, create_saga, location);
    struct saga_items items = {.p = p, .items = list};
    create->name = name;
    create->params = params;
    if (saga_word(&items, "timeout")) {
        create->timeout = saga_string(&items);
    }
    do {
        if (!saga_word(&items, "step")) {
            saga_wrong(&items);
            break;
        }
        struct ast_saga_step *step = saga_step(&items);
        if (step == NULL) {
            break;
        }
        while (p->err == ERR_OK && saga_clause(&items, step)) {
        }
        create->steps = create->steps == NULL ? parser__list(p, NODE(step))
                                              : parser__append(p, create->steps, NODE(step));
    } while (p->err == ERR_OK && saga_next(&items) != NULL);
    return NODE(create);
}

struct ast_node *
parser__alter_saga(struct parser *p, int64_t number, struct parser_token action,
    struct parser_token step, int32_t location)
{
    static const char *const words[] = {"retry", "compensate", "skip", "pause", "resume"};
    struct ast_alter_saga *alter = NEW(AST_ALTER_SAGA, alter_saga, location);
    alter->number = number;
    alter->step = step.text;
    size_t at = 0;
    while (at < sizeof words / sizeof words[0] && strcmp(action.text, words[at]) != 0) {
        at++;
    }
    if (at == sizeof words / sizeof words[0] || (at == AST_SAGA_SKIP) != (step.text != NULL)) {
        parser__fail_syntax(p, action.location);
        at = 0;
    }
    alter->action = (enum ast_saga_action)at;
    return NODE(alter);
}

struct ast_node *
parser__notify(struct parser *p, enum ast_notify_kind kind, const char *channel,
    const char *payload, int32_t location)
{
    struct ast_notify *notify = NEW(AST_NOTIFY, notify, location);
    notify->kind = kind;
    notify->channel = channel;
    notify->payload = payload;
    return NODE(notify);
}

char *
parser__upper(struct parser *p, const char *words)
{
    char *upper = arena_strdup(p->arena, words);
    for (char *c = upper; *c != '\0'; c++) {
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c & ~0x20 : *c);
    }
    return upper;
}

void
parser__need_alias(struct parser *p, const struct ast_range_subquery *range)
{
    if (range->alias != NULL || p->err != ERR_OK) {
        return;
    }
    bool values = range->query->values != NULL;
    parser__fail(p, range->node.location, ERR_SYNTAX, "%s in FROM must have an alias",
        values ? "VALUES" : "subquery");
    diag_hint(p->diag, "For example, FROM (%s ...) [AS] foo.", values ? "VALUES" : "SELECT");
}

void
parser__role_id(struct parser *p, struct parser_token name)
{
    static const char *const words[] = {"current_user", "current_role", "session_user"};
    bool quoted = p->scanner.text[name.location] == '"';
    for (size_t i = 0; i < sizeof words / sizeof words[0] && !quoted; i++) {
        if (strcmp(name.text, words[i]) == 0) {
            parser__fail(p, name.location, ERR_RESERVED_NAME,
                "%s cannot be used as a role name here", parser__upper(p, words[i]));
        }
    }
    if (strcmp(name.text, "public") == 0 || (strcmp(name.text, "none") == 0 && !quoted)) {
        parser__fail(
            p, name.location, ERR_RESERVED_NAME, "role name \"%s\" is reserved", name.text);
    }
}
