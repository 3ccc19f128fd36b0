/*
 * parser/deparse.c - a query's tree as text, in the layout of PostgreSQL's pg_get_viewdef.
 *
 * That layout: a clause begins a line of its own, indented by where its query is; targets stand one
 * a line; every operator has parentheses, unless `pretty` is asked for, which leaves out those that
 * PostgreSQL's pretty printing leaves out.
 */
#include "parser/deparse.h"

#include <string.h>

#include "parser/parser.h"

enum {
    INDENT_QUERY = 8,
    INDENT_JOIN = 4,
    INDENT_TARGET = 4,
    INDENT_MAX = 200,
};

struct writer {
    const struct parser_deparse *style;
    struct buffer *to;
    int indent;
    bool inside; /* not the query itself any more: its names do not count */
};

static void put(struct writer *w, const struct ast_node *node);
static void put_query(struct writer *w, const struct ast_select *query, int indent);

/* ---- words and lines ------------------------------------------------------------------------- */

static void
text(struct writer *w, const char *string)
{
    buffer_add_text(w->to, string);
}

static void
name(struct writer *w, const char *string)
{
    text(w, parser_quote_ident(w->style->arena, string));
}

/* Ends the line, without blanks at its end, and begins one with this word. */
static void
line(struct writer *w, const char *word, int before, int after, int more)
{
    w->indent += before;
    while (w->to->size > 0 && w->to->data[w->to->size - 1] == ' ') {
        w->to->size--;
    }
    int blanks = (w->indent > 0 ? w->indent : 0) + more;
    blanks = blanks > INDENT_MAX ? INDENT_MAX : blanks;
    buffer_add_u8(w->to, '\n');
    for (int i = 0; i < blanks; i++) {
        buffer_add_u8(w->to, ' ');
    }
    text(w, word);
    w->indent += after;
    w->indent = w->indent < 0 ? 0 : w->indent;
}

static void
put_list(struct writer *w, const struct ast_list *list)
{
    const char *between = "";
    AST_FOREACH(at, list)
    {
        text(w, between);
        put(w, *at);
        between = ", ";
    }
}

static void
name_list(struct writer *w, const struct ast_list *list)
{
    const char *between = "";
    AST_FOREACH(at, list)
    {
        text(w, between);
        name(w, ast_as_name(*at)->text);
        between = ", ";
    }
}

/* ---- parentheses ----------------------------------------------------------------------------- */

/* 2: * / %; 1: + -; 0: another operator or none. */
static int
arithmetic(const struct ast_node *node)
{
    if (node->kind != AST_OP || ast_as_op(node)->left == NULL) {
        return 0;
    }
    const char *op = ast_as_op(node)->name;
    if (op[1] != '\0') {
        return 0;
    }
    return strchr("*/%", op[0]) != NULL ? 2 : strchr("+-", op[0]) != NULL ? 1 : 0;
}

static bool
is_whole(const struct ast_node *node)
{
    switch (node->kind) {
    case AST_CONST:
    case AST_PARAM:
    case AST_COLUMN:
    case AST_CALL:
    case AST_CASE:
    case AST_LIST_CALL:
    case AST_SUBQUERY:
    case AST_EXISTS:
    case AST_ROW:
    case AST_ARRAY:
    case AST_SUBSCRIPT:
    case AST_FIELD:
    case AST_SQL_VALUE:
    case AST_GROUPING:
    case AST_DEFAULT:
        return true;
    case AST_CAST:
        return is_whole(ast_as_cast(node)->operand);
    case AST_COLLATE:
        return is_whole(ast_as_collate(node)->operand);
    default:
        return false;
    }
}

/* Whether an operand needs parentheses although it brings none of its own. */
static bool
needs_parentheses(const struct ast_node *node, const struct ast_node *parent, bool right)
{
    if (is_whole(node)) {
        return false;
    }
    if (parent->kind == AST_BOOL) {
        if (node->kind != AST_BOOL) {
            return false;
        }
        enum ast_bool_kind inner = ast_as_bool(node)->kind, outer = ast_as_bool(parent)->kind;
        return outer == AST_BOOL_NOT || (inner == AST_BOOL_OR && outer == AST_BOOL_AND);
    }
    int inner = arithmetic(node), outer = arithmetic(parent);
    if (inner == 0 || outer == 0) {
        return true;
    }
    return inner < outer || (inner == outer && right);
}

static void
put_operand(
    struct writer *w, const struct ast_node *node, const struct ast_node *parent, bool right)
{
    const char *type = NULL;
    if (w->style->operand_type != NULL && parent->kind != AST_BOOL) {
        type = w->style->operand_type(w->style->arg, node);
    }
    bool parentheses = w->style->pretty ? needs_parentheses(node, parent, right) : type != NULL;
    if (parentheses) {
        text(w, "(");
    }
    put(w, node);
    if (parentheses) {
        text(w, ")");
    }
    if (type != NULL) {
        text(w, "::");
        text(w, type);
    }
}

static void
lparen(struct writer *w)
{
    if (!w->style->pretty) {
        text(w, "(");
    }
}

static void
rparen(struct writer *w)
{
    if (!w->style->pretty) {
        text(w, ")");
    }
}

/* ---- constants, columns, types ----------------------------------------------------------------
 */

static void
put_type(struct writer *w, const struct ast_type *type)
{
    const char *known = w->style->type == NULL ? NULL : w->style->type(w->style->arg, type);
    if (known != NULL) {
        text(w, known);
        return;
    }
    if (type->schema != NULL) {
        name(w, type->schema);
        text(w, ".");
    }
    name(w, type->name);
    if (ast_list_count(type->modifiers) > 0) {
        text(w, "(");
        put_list(w, type->modifiers);
        text(w, ")");
    }
    for (uint32_t i = 0; i < type->array_dimensions; i++) {
        text(w, "[]");
    }
}

static void
put_quoted(struct writer *w, const struct ast_const *node)
{
    text(w, parser_quote_literal(w->style->arena, node->text, node->size));
}

static void
put_const(struct writer *w, const struct ast_const *node, bool typed)
{
    const char *type = NULL;
    switch (node->kind) {
    case AST_CONST_NULL:
        text(w, "NULL");
        break;
    case AST_CONST_BOOL:
        text(w, node->boolean ? "true" : "false");
        return;
    case AST_CONST_INTEGER:
    case AST_CONST_NUMERIC:
        if (node->text[0] == '-' && !w->style->keep) { /* as PostgreSQL shows negative ones */
            buffer_printf(w->to, "'%s'::%s", node->text,
                node->kind == AST_CONST_NUMERIC ? "numeric"
                : node->integer < INT32_MIN     ? "bigint"
                                                : "integer");
            return;
        }
        text(w, node->text);
        return;
    case AST_CONST_STRING: {
        const char *known =
            w->style->literal == NULL ? NULL : w->style->literal(w->style->arg, node);
        if (known != NULL) {
            text(w, known);
        } else {
            put_quoted(w, node);
        }
        break;
    }
    case AST_CONST_BIT:
        text(w, "B");
        put_quoted(w, node);
        return;
    case AST_CONST_HEX:
        text(w, "X");
        put_quoted(w, node);
        return;
    }
    if (typed && w->style->literal_type != NULL) {
        type = w->style->literal_type(w->style->arg, node);
    }
    if (type != NULL) {
        text(w, "::");
        text(w, type);
    }
}

static void
put_column(struct writer *w, const struct ast_column *column)
{
    const char *known =
        w->style->column == NULL || column->star ? NULL : w->style->column(w->style->arg, column);
    if (known != NULL) {
        text(w, known);
        return;
    }
    for (uint32_t i = 0; i < column->count; i++) {
        text(w, i == 0 ? "" : ".");
        name(w, column->parts[i]);
    }
    if (column->star) {
        text(w, column->count == 0 ? "*" : ".*");
    }
}

/* ---- operators ------------------------------------------------------------------------------- */

static void
put_binary(struct writer *w, const struct ast_node *parent, const struct ast_node *left,
    const char *op, const struct ast_node *right)
{
    lparen(w);
    put_operand(w, left, parent, false);
    text(w, " ");
    text(w, op);
    text(w, " ");
    put_operand(w, right, parent, true);
    rparen(w);
}

static void
put_op(struct writer *w, const struct ast_op *op)
{
    if (op->left != NULL) {
        put_binary(w, &op->node, op->left, op->name, op->right);
        return;
    }
    if (op->right->kind == AST_CONST && strcmp(op->name, "-") == 0) {
        const struct ast_const *number = ast_as_const(op->right);
        if (number->kind == AST_CONST_INTEGER || number->kind == AST_CONST_NUMERIC) {
            bool big = number->integer > INT32_MAX;
            buffer_printf(w->to, "'-%s'::%s", number->text,
                number->kind == AST_CONST_NUMERIC ? "numeric"
                : big                             ? "bigint"
                                                  : "integer");
            return;
        }
    }
    lparen(w);
    text(w, op->name);
    text(w, " ");
    put_operand(w, op->right, &op->node, true);
    rparen(w);
}

static void
put_bool(struct writer *w, const struct ast_bool *node)
{
    lparen(w);
    if (node->kind == AST_BOOL_NOT) {
        text(w, "NOT ");
        put_operand(w, ast_list_at(node->list, 0), &node->node, true);
    } else {
        const char *between = "";
        AST_FOREACH(at, node->list)
        {
            text(w, between);
            put_operand(w, *at, &node->node, false);
            between = node->kind == AST_BOOL_AND ? " AND " : " OR ";
        }
    }
    rparen(w);
}

static void
put_in(struct writer *w, const struct ast_in *in)
{
    if (in->query != NULL) {
        if (in->negated) {
            lparen(w);
            text(w, "NOT ");
        }
        text(w, "(");
        put_operand(w, in->left, &in->node, false);
        text(w, " IN (");
        put_query(w, in->query, w->indent);
        text(w, "))");
        if (in->negated) {
            rparen(w);
        }
        return;
    }
    lparen(w);
    put_operand(w, in->left, &in->node, false);
    if (w->style->keep || in->left->kind == AST_ROW) {
        text(w, in->negated ? " NOT IN (" : " IN (");
        put_list(w, in->list);
        text(w, ")");
    } else if (ast_list_count(in->list) == 1) {
        text(w, in->negated ? " <> " : " = ");
        put_operand(w, ast_list_at(in->list, 0), &in->node, true);
    } else {
        text(w, in->negated ? " <> ALL (ARRAY[" : " = ANY (ARRAY[");
        put_list(w, in->list);
        text(w, "])");
    }
    rparen(w);
}

static void
put_any(struct writer *w, const struct ast_any *any)
{
    lparen(w);
    put_operand(w, any->left, &any->node, false);
    buffer_printf(w->to, " %s %s (", any->op, any->all ? "ALL" : "ANY");
    if (any->query != NULL) {
        put_query(w, any->query, w->indent);
    } else {
        put(w, any->array);
    }
    text(w, ")");
    rparen(w);
}

static void
put_between(struct writer *w, const struct ast_between *between)
{
    const struct ast_node *node = &between->node;
    if (w->style->keep || between->symmetric) {
        lparen(w);
        put_operand(w, between->operand, node, false);
        text(w, between->negated ? " NOT BETWEEN " : " BETWEEN ");
        text(w, between->symmetric ? "SYMMETRIC " : "");
        text(w, "(");
        put_operand(w, between->low, node, true);
        text(w, ") AND (");
        put_operand(w, between->high, node, true);
        text(w, ")");
        rparen(w);
        return;
    }
    lparen(w);
    put_binary(w, node, between->operand, between->negated ? "<" : ">=", between->low);
    text(w, between->negated ? " OR " : " AND ");
    put_binary(w, node, between->operand, between->negated ? ">" : "<=", between->high);
    rparen(w);
}

static void
put_like(struct writer *w, const struct ast_like *like)
{
    if (like->kind == AST_LIKE_SIMILAR || like->escape != NULL) {
        static const char *const words[] = {[AST_LIKE_LIKE] = "LIKE",
            [AST_LIKE_ILIKE] = "ILIKE",
            [AST_LIKE_SIMILAR] = "SIMILAR TO"};
        lparen(w);
        put_operand(w, like->operand, &like->node, false);
        buffer_printf(w->to, "%s %s ", like->negated ? " NOT" : "", words[like->kind]);
        put_operand(w, like->pattern, &like->node, true);
        if (like->escape != NULL) {
            text(w, " ESCAPE ");
            put_operand(w, like->escape, &like->node, true);
        }
        rparen(w);
        return;
    }
    const char *op = like->kind == AST_LIKE_LIKE ? like->negated ? "!~~" : "~~"
                     : like->negated             ? "!~~*"
                                                 : "~~*";
    put_binary(w, &like->node, like->operand, op, like->pattern);
}

static void
put_is(struct writer *w, const struct ast_is *is)
{
    static const char *const words[] = {[AST_IS_NULL] = "NULL",
        [AST_IS_TRUE] = "TRUE",
        [AST_IS_FALSE] = "FALSE",
        [AST_IS_UNKNOWN] = "UNKNOWN",
        [AST_IS_OTHER] = "DOCUMENT"};
    lparen(w);
    put_operand(w, is->operand, &is->node, false);
    text(w, is->negated ? " IS NOT " : " IS ");
    text(w, words[is->kind]);
    rparen(w);
}

static void
put_distinct_from(struct writer *w, const struct ast_distinct_from *node)
{
    if (node->negated) {
        lparen(w);
        text(w, "NOT ");
        text(w, w->style->pretty ? "(" : "");
    }
    put_binary(w, &node->node, node->left, "IS DISTINCT FROM", node->right);
    if (node->negated) {
        text(w, w->style->pretty ? ")" : "");
        rparen(w);
    }
}

static void
put_cast(struct writer *w, const struct ast_cast *cast)
{
    const struct ast_node *operand = cast->operand;
    bool literal = operand->kind == AST_CONST && (ast_as_const(operand)->kind == AST_CONST_STRING ||
                                                     ast_as_const(operand)->kind == AST_CONST_NULL);
    if (literal) {
        put_const(w, ast_as_const(operand), false);
    } else {
        bool parentheses = !w->style->pretty || !is_whole(operand);
        text(w, parentheses ? "(" : "");
        put(w, operand);
        text(w, parentheses ? ")" : "");
    }
    text(w, "::");
    put_type(w, cast->type);
}

static void
put_case(struct writer *w, const struct ast_case *node)
{
    line(w, "CASE", 0, INDENT_TARGET, 0);
    if (node->subject != NULL) {
        text(w, " ");
        put(w, node->subject);
    }
    AST_FOREACH(at, node->whens)
    {
        const struct ast_when *when = ast_as_when(*at);
        line(w, "WHEN ", 0, 0, 0);
        put(w, when->condition);
        text(w, " THEN ");
        put(w, when->result);
    }
    line(w, "ELSE ", 0, 0, 0);
    if (node->otherwise != NULL) {
        put(w, node->otherwise);
    } else {
        text(w, "NULL");
        const char *type = w->style->operand_type == NULL
                               ? NULL
                               : w->style->operand_type(w->style->arg, &node->node);
        if (type != NULL) {
            text(w, "::");
            text(w, type);
        }
    }
    line(w, "END", -INDENT_TARGET, 0, 0);
}

/* With the types they are silently cast to. */
static void
put_arguments(struct writer *w, const struct ast_list *args, bool variadic)
{
    uint32_t count = ast_list_count(args);
    for (uint32_t i = 0; i < count; i++) {
        text(w, i > 0 ? ", " : "");
        text(w, variadic && i + 1 == count ? "VARIADIC " : "");
        const struct ast_node *arg = ast_list_at(args, i);
        const char *type =
            w->style->operand_type == NULL ? NULL : w->style->operand_type(w->style->arg, arg);
        bool parentheses = type != NULL && (!w->style->pretty || !is_whole(arg));
        text(w, parentheses ? "(" : "");
        put(w, arg);
        text(w, parentheses ? ")" : "");
        if (type != NULL) {
            text(w, "::");
            text(w, type);
        }
    }
}

static void
put_list_call(struct writer *w, const struct ast_list_call *call)
{
    static const char *const words[] = {[AST_COALESCE] = "COALESCE",
        [AST_NULLIF] = "NULLIF",
        [AST_GREATEST] = "GREATEST",
        [AST_LEAST] = "LEAST"};
    text(w, words[call->kind]);
    text(w, "(");
    put_arguments(w, call->list, false);
    text(w, ")");
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void
put_sort_list(struct writer *w, const struct ast_list *list)
{
    const char *between = "";
    AST_FOREACH(at, list)
    {
        const struct ast_sort *sort = ast_as_sort(*at);
        text(w, between);
        put(w, sort->expr);
        if (sort->order == AST_SORT_DESC) {
            text(w, " DESC");
        } else if (sort->order == AST_SORT_USING) {
            text(w, " USING ");
            text(w, sort->using_op);
        }
        bool down = sort->order == AST_SORT_DESC;
        if (sort->nulls != AST_NULLS_DEFAULT && (sort->nulls == AST_NULLS_FIRST) != down) {
            text(w, sort->nulls == AST_NULLS_FIRST ? " NULLS FIRST" : " NULLS LAST");
        }
        between = ", ";
    }
}

static void
put_frame_bound(struct writer *w, const struct ast_frame_bound *bound)
{
    static const char *const words[] = {[AST_UNBOUNDED_PRECEDING] = "UNBOUNDED PRECEDING",
        [AST_OFFSET_PRECEDING] = " PRECEDING",
        [AST_CURRENT_ROW] = "CURRENT ROW",
        [AST_OFFSET_FOLLOWING] = " FOLLOWING",
        [AST_UNBOUNDED_FOLLOWING] = "UNBOUNDED FOLLOWING"};
    if (bound->offset != NULL) {
        put(w, bound->offset);
    }
    text(w, words[bound->kind]);
}

static void
put_frame(struct writer *w, const struct ast_frame *frame)
{
    static const char *const units[] = {
        [AST_FRAME_RANGE] = "RANGE", [AST_FRAME_ROWS] = "ROWS", [AST_FRAME_GROUPS] = "GROUPS"};
    static const char *const exclusions[] = {[AST_EXCLUDE_NO_OTHERS] = "",
        [AST_EXCLUDE_CURRENT_ROW] = " EXCLUDE CURRENT ROW",
        [AST_EXCLUDE_GROUP] = " EXCLUDE GROUP",
        [AST_EXCLUDE_TIES] = " EXCLUDE TIES"};
    text(w, units[frame->unit]);
    text(w, " BETWEEN ");
    put_frame_bound(w, &frame->start);
    text(w, " AND ");
    put_frame_bound(w, &frame->end);
    text(w, exclusions[frame->exclusion]);
}

static void
put_window(struct writer *w, const struct ast_window *window)
{
    const char *blank = "";
    text(w, "(");
    if (window->base != NULL) {
        name(w, window->base);
        blank = " ";
    }
    if (ast_list_count(window->partition) > 0) {
        text(w, blank);
        text(w, "PARTITION BY ");
        put_list(w, window->partition);
        blank = " ";
    }
    if (ast_list_count(window->order) > 0) {
        text(w, blank);
        text(w, "ORDER BY ");
        put_sort_list(w, window->order);
        blank = " ";
    }
    if (window->frame != NULL) {
        text(w, blank);
        put_frame(w, window->frame);
    }
    text(w, ")");
}

static bool
put_special(struct writer *w, const struct ast_call *call)
{
    uint32_t count = ast_list_count(call->args);
    const struct ast_node *first = count > 0 ? ast_list_at(call->args, 0) : NULL;
    if (strcmp(call->name, "extract") == 0 && count == 2 && first->kind == AST_CONST) {
        buffer_printf(w->to, "EXTRACT(%s FROM ", ast_as_const(first)->text);
        put(w, ast_list_at(call->args, 1));
        text(w, ")");
        return true;
    }
    if (strcmp(call->name, "timezone") == 0 && count == 2) {
        text(w, "(");
        put_operand(w, ast_list_at(call->args, 1), &call->node, false);
        text(w, " AT TIME ZONE ");
        put_operand(w, first, &call->node, true);
        text(w, ")");
        return true;
    }
    if (strcmp(call->name, "position") == 0 && count == 2) {
        text(w, "POSITION((");
        put(w, ast_list_at(call->args, 1));
        text(w, ") IN (");
        put(w, first);
        text(w, "))");
        return true;
    }
    return false;
}

static void
put_call(struct writer *w, const struct ast_call *call)
{
    if (call->special && put_special(w, call)) {
        return;
    }
    if (call->schema != NULL && strcmp(call->schema, "pg_catalog") != 0) {
        name(w, call->schema);
        text(w, ".");
    }
    name(w, call->name);
    text(w, "(");
    text(w, call->distinct ? "DISTINCT " : "");
    text(w, call->star ? "*" : "");
    put_arguments(w, call->args, call->variadic);
    if (call->within_group) {
        text(w, ") WITHIN GROUP (");
    }
    if (ast_list_count(call->order) > 0) {
        text(w, call->within_group ? "ORDER BY " : " ORDER BY ");
        put_sort_list(w, call->order);
    }
    text(w, ")");
    if (call->filter != NULL) {
        text(w, " FILTER (WHERE ");
        put(w, call->filter);
        text(w, ")");
    }
    if (call->over != NULL) {
        text(w, " OVER ");
        if (call->over->reference) {
            name(w, call->over->name);
        } else {
            put_window(w, call->over);
        }
    }
}

static void
put_sql_value(struct writer *w, const struct ast_sql_value *value)
{
    static const char *const words[] = {[AST_CURRENT_DATE] = "CURRENT_DATE",
        [AST_CURRENT_TIME] = "CURRENT_TIME",
        [AST_CURRENT_TIMESTAMP] = "CURRENT_TIMESTAMP",
        [AST_LOCALTIME] = "LOCALTIME",
        [AST_LOCALTIMESTAMP] = "LOCALTIMESTAMP",
        [AST_CURRENT_USER] = "CURRENT_USER",
        [AST_CURRENT_ROLE] = "CURRENT_ROLE",
        [AST_SESSION_USER] = "SESSION_USER",
        [AST_USER] = "USER",
        [AST_CURRENT_CATALOG] = "CURRENT_CATALOG",
        [AST_CURRENT_SCHEMA] = "CURRENT_SCHEMA"};
    text(w, words[value->kind]);
    if (value->precision >= 0) {
        buffer_printf(w->to, "(%d)", value->precision);
    }
}

static void
put_grouping(struct writer *w, const struct ast_grouping *grouping)
{
    static const char *const words[] = {[AST_GROUPING_EMPTY] = "",
        [AST_GROUPING_ROLLUP] = "ROLLUP",
        [AST_GROUPING_CUBE] = "CUBE",
        [AST_GROUPING_SETS] = "GROUPING SETS ",
        [AST_GROUPING_CALL] = "GROUPING"};
    text(w, words[grouping->kind]);
    text(w, "(");
    put_list(w, grouping->list);
    text(w, ")");
}

static void
put_subscript(struct writer *w, const struct ast_subscript *node)
{
    bool plain = node->operand->kind == AST_COLUMN || node->operand->kind == AST_SUBSCRIPT;
    text(w, plain ? "" : "(");
    put(w, node->operand);
    text(w, plain ? "[" : ")[");
    if (node->lower != NULL) {
        put(w, node->lower);
    }
    text(w, node->slice ? ":" : "");
    if (node->upper != NULL) {
        put(w, node->upper);
    }
    text(w, "]");
}

static void
put(struct writer *w, const struct ast_node *node)
{
    switch (node->kind) {
    case AST_CONST:
        put_const(w, ast_as_const(node), true);
        break;
    case AST_PARAM:
        buffer_printf(w->to, "$%u", ast_as_param(node)->number);
        break;
    case AST_COLUMN:
        put_column(w, ast_as_column(node));
        break;
    case AST_OP:
        put_op(w, ast_as_op(node));
        break;
    case AST_BOOL:
        put_bool(w, ast_as_bool(node));
        break;
    case AST_CALL:
        put_call(w, ast_as_call(node));
        break;
    case AST_CASE:
        put_case(w, ast_as_case(node));
        break;
    case AST_LIST_CALL:
        put_list_call(w, ast_as_list_call(node));
        break;
    case AST_IN:
        put_in(w, ast_as_in(node));
        break;
    case AST_ANY:
        put_any(w, ast_as_any(node));
        break;
    case AST_EXISTS:
        lparen(w);
        text(w, "EXISTS (");
        put_query(w, ast_as_exists(node)->query, w->indent);
        text(w, ")");
        rparen(w);
        break;
    case AST_SUBQUERY:
        text(w, ast_as_subquery(node)->array ? "ARRAY(" : "(");
        put_query(w, ast_as_subquery(node)->query, w->indent);
        text(w, ")");
        break;
    case AST_BETWEEN:
        put_between(w, ast_as_between(node));
        break;
    case AST_LIKE:
        put_like(w, ast_as_like(node));
        break;
    case AST_IS:
        put_is(w, ast_as_is(node));
        break;
    case AST_DISTINCT_FROM:
        put_distinct_from(w, ast_as_distinct_from(node));
        break;
    case AST_CAST:
        put_cast(w, ast_as_cast(node));
        break;
    case AST_ROW:
        text(w, ast_as_row(node)->explicit_row ? "ROW(" : "(");
        put_list(w, ast_as_row(node)->list);
        text(w, ")");
        break;
    case AST_ARRAY:
        text(w, "ARRAY[");
        put_list(w, ast_as_array(node)->list);
        text(w, "]");
        break;
    case AST_COLLATE:
        lparen(w);
        put_operand(w, ast_as_collate(node)->operand, node, false);
        text(w, " COLLATE ");
        name(w, ast_as_collate(node)->name);
        rparen(w);
        break;
    case AST_SUBSCRIPT:
        put_subscript(w, ast_as_subscript(node));
        break;
    case AST_FIELD:
        text(w, "(");
        put(w, ast_as_field(node)->operand);
        text(w, ").");
        if (ast_as_field(node)->name == NULL) {
            text(w, "*");
        } else {
            name(w, ast_as_field(node)->name);
        }
        break;
    case AST_SQL_VALUE:
        put_sql_value(w, ast_as_sql_value(node));
        break;
    case AST_DEFAULT:
        text(w, "DEFAULT");
        break;
    case AST_NAMED_ARG:
        name(w, ast_as_named_arg(node)->name);
        text(w, " => ");
        put(w, ast_as_named_arg(node)->value);
        break;
    case AST_GROUPING:
        put_grouping(w, ast_as_grouping(node));
        break;
    default:
        ASSERT(false && "not an expression");
    }
}

/* ---- FROM ------------------------------------------------------------------------------------ */

static void
put_alias(struct writer *w, const char *alias, const struct ast_list *columns)
{
    if (alias != NULL) {
        text(w, " ");
        name(w, alias);
    }
    if (ast_list_count(columns) > 0) {
        text(w, "(");
        name_list(w, columns);
        text(w, ")");
    }
}

static void
put_table(struct writer *w, const struct ast_table *table)
{
    const char *known = w->style->table == NULL ? NULL : w->style->table(w->style->arg, table);
    text(w, table->only ? "ONLY " : "");
    if (known != NULL) {
        text(w, known);
    } else {
        if (table->schema != NULL) {
            name(w, table->schema);
            text(w, ".");
        }
        name(w, table->name);
    }
    put_alias(w, table->alias, table->columns);
}

static void
put_range_function(struct writer *w, const struct ast_range_function *range)
{
    text(w, range->lateral ? "LATERAL " : "");
    text(w, range->rows_from ? "ROWS FROM(" : "");
    put_list(w, range->calls);
    text(w, range->rows_from ? ")" : "");
    text(w, range->ordinality ? " WITH ORDINALITY" : "");
    put_alias(w, range->alias, range->columns);
}

static void put_from(struct writer *w, const struct ast_node *node);

static void
put_join(struct writer *w, const struct ast_join *join)
{
    static const char *const words[] = {[AST_JOIN_CROSS] = "CROSS JOIN ",
        [AST_JOIN_INNER] = "JOIN ",
        [AST_JOIN_LEFT] = "LEFT JOIN ",
        [AST_JOIN_RIGHT] = "RIGHT JOIN ",
        [AST_JOIN_FULL] = "FULL JOIN "};
    bool parentheses = !w->style->pretty || join->alias != NULL;
    text(w, parentheses ? "(" : "");
    put_from(w, join->left);
    line(w, join->natural ? " NATURAL " : " ", -INDENT_QUERY, INDENT_QUERY, INDENT_JOIN);
    text(w, words[join->kind]);
    bool inner = w->style->pretty && join->right->kind == AST_JOIN;
    text(w, inner ? "(" : "");
    put_from(w, join->right);
    text(w, inner ? ")" : "");
    if (ast_list_count(join->using_columns) > 0) {
        text(w, " USING (");
        name_list(w, join->using_columns);
        text(w, ")");
    } else if (join->condition != NULL) {
        text(w, w->style->pretty ? " ON " : " ON (");
        put(w, join->condition);
        text(w, w->style->pretty ? "" : ")");
    }
    text(w, parentheses ? ")" : "");
    put_alias(w, join->alias, join->columns);
}

static void
put_from(struct writer *w, const struct ast_node *node)
{
    switch (node->kind) {
    case AST_TABLE:
        put_table(w, ast_as_table(node));
        break;
    case AST_RANGE_SUBQUERY: {
        const struct ast_range_subquery *range = ast_as_range_subquery(node);
        text(w, range->lateral ? "LATERAL (" : "(");
        put_query(w, range->query, w->indent);
        text(w, ")");
        put_alias(w, range->alias, range->columns);
        break;
    }
    case AST_RANGE_FUNCTION:
        put_range_function(w, ast_as_range_function(node));
        break;
    case AST_JOIN:
        put_join(w, ast_as_join(node));
        break;
    default:
        ASSERT(false && "not a FROM item");
    }
}

static void
put_from_clause(struct writer *w, const struct ast_list *from)
{
    uint32_t count = 0;
    AST_FOREACH(at, from)
    {
        if (count++ == 0) {
            line(w, " FROM ", -INDENT_QUERY, INDENT_QUERY, 2);
        } else {
            text(w, ",");
            line(w, "", -INDENT_QUERY, INDENT_QUERY, INDENT_TARGET);
        }
        put_from(w, *at);
    }
}

/* ---- queries --------------------------------------------------------------------------------- */

static void
put_next_target(struct writer *w, uint32_t *count)
{
    if ((*count)++ == 0) {
        text(w, " ");
    } else {
        text(w, ",");
        line(w, "", -INDENT_QUERY, INDENT_QUERY, INDENT_TARGET);
    }
}

static void
put_target(struct writer *w, const struct ast_target *target, uint32_t *count)
{
    const struct ast_node *value = target->value;
    if (value->kind == AST_COLUMN && ast_as_column(value)->star && w->style->star != NULL) {
        const char *column, *result;
        for (uint32_t i = 0;
             w->style->star(w->style->arg, ast_as_column(value), i, &column, &result); i++) {
            put_next_target(w, count);
            text(w, column);
            if (result != NULL) {
                text(w, " AS ");
                text(w, result);
            }
        }
        return;
    }
    uint32_t number = *count;
    put_next_target(w, count);
    bool outermost = !w->inside;
    w->inside = true;
    put(w, value);
    w->inside = !outermost;
    const char *own = target->name;
    if (outermost && number < w->style->name_count) {
        own = w->style->names[number];
    }
    if (own == NULL && w->style->target_name != NULL) {
        own = w->style->target_name(w->style->arg, value);
    }
    bool same = !w->style->keep && value->kind == AST_COLUMN && own != NULL &&
                strcmp(ast_as_column(value)->parts[ast_as_column(value)->count - 1], own) == 0;
    if (own != NULL && !same) {
        text(w, " AS ");
        name(w, own);
    }
}

static void
put_values(struct writer *w, const struct ast_list *rows)
{
    text(w, "VALUES ");
    const char *between = "";
    AST_FOREACH(at, rows)
    {
        text(w, between);
        text(w, "(");
        const char *comma = "";
        AST_FOREACH(item, ast_as_row(*at)->list)
        {
            text(w, comma);
            put(w, *item);
            comma = ",";
        }
        text(w, ")");
        between = ", ";
    }
}

static void
put_plain(struct writer *w, const struct ast_select *query)
{
    w->indent += INDENT_QUERY;
    text(w, " ");
    if (ast_list_count(query->values) > 0) {
        put_values(w, query->values);
        return;
    }
    text(w, "SELECT");
    if (query->distinct == AST_DISTINCT_ROW) {
        text(w, " DISTINCT");
    } else if (query->distinct == AST_DISTINCT_ON) {
        text(w, " DISTINCT ON (");
        put_list(w, query->distinct_on);
        text(w, ")");
    }
    uint32_t count = 0;
    AST_FOREACH(at, query->targets)
    {
        put_target(w, ast_as_target(*at), &count);
    }
    w->inside = true;
    put_from_clause(w, query->from);
    if (query->where != NULL) {
        line(w, " WHERE ", -INDENT_QUERY, INDENT_QUERY, 1);
        put(w, query->where);
    }
    if (ast_list_count(query->group) > 0) {
        line(w, " GROUP BY ", -INDENT_QUERY, INDENT_QUERY, 1);
        text(w, query->group_distinct ? "DISTINCT " : "");
        put_list(w, query->group);
    }
    if (query->having != NULL) {
        line(w, " HAVING ", -INDENT_QUERY, INDENT_QUERY, 0);
        put(w, query->having);
    }
    const char *before = NULL;
    AST_FOREACH(at, query->windows)
    {
        if (before == NULL) {
            line(w, " WINDOW ", -INDENT_QUERY, INDENT_QUERY, 1);
        } else {
            text(w, before);
        }
        name(w, ast_as_window(*at)->name);
        text(w, " AS ");
        put_window(w, ast_as_window(*at));
        before = ", ";
    }
}

static void put_body(struct writer *w, const struct ast_select *query);

static bool
has_clauses(const struct ast_select *query)
{
    return ast_list_count(query->order) > 0 || query->limit != NULL || query->offset != NULL ||
           ast_list_count(query->locking) > 0 || ast_list_count(query->with.ctes) > 0;
}

static void
put_side(struct writer *w, const struct ast_select *side, const struct ast_select *query)
{
    bool set = side->op != AST_SET_NONE;
    bool parentheses =
        has_clauses(side) || (set && (side->op != query->op || side->all != query->all));
    if (parentheses) {
        text(w, "(");
        put_query(w, side, w->indent + INDENT_QUERY);
        text(w, ")");
    } else if (set) {
        put_body(w, side);
    } else {
        put_query(w, side, w->indent);
    }
}

/* Without WITH, ORDER BY and the like. */
static void
put_body(struct writer *w, const struct ast_select *query)
{
    if (query->op == AST_SET_NONE) {
        put_plain(w, query);
        return;
    }
    static const char *const words[] = {
        [AST_SET_UNION] = "UNION", [AST_SET_INTERSECT] = "INTERSECT", [AST_SET_EXCEPT] = "EXCEPT"};
    put_side(w, query->left, query);
    line(w, words[query->op], 0, 0, 0);
    text(w, query->all ? " ALL" : "");
    line(w, "", 0, 0, 0);
    put_side(w, query->right, query);
}

static void
put_with(struct writer *w, const struct ast_with *with)
{
    w->indent += INDENT_QUERY;
    text(w, with->recursive ? " WITH RECURSIVE " : " WITH ");
    const char *between = "";
    AST_FOREACH(at, with->ctes)
    {
        const struct ast_cte *cte = ast_as_cte(*at);
        text(w, between);
        name(w, cte->name);
        if (ast_list_count(cte->columns) > 0) {
            text(w, "(");
            name_list(w, cte->columns);
            text(w, ")");
        }
        text(w, " AS ");
        text(w, cte->materialized == 1   ? "MATERIALIZED "
                : cte->materialized == 0 ? "NOT MATERIALIZED "
                                         : "");
        text(w, "(");
        line(w, "", 0, 0, 0);
        bool before = w->inside;
        w->inside = true;
        if (cte->query->kind == AST_SELECT) { /* others are refused by whoever binds the text */
            put_query(w, ast_as_select(cte->query), w->indent);
        }
        w->inside = before;
        line(w, "", 0, 0, 0);
        text(w, ")");
        between = ", ";
    }
    w->indent -= INDENT_QUERY;
    line(w, "", 0, 0, 0);
}

static void
put_tail(struct writer *w, const struct ast_select *query)
{
    if (ast_list_count(query->order) > 0) {
        line(w, " ORDER BY ", -INDENT_QUERY, INDENT_QUERY, 1);
        put_sort_list(w, query->order);
    }
    if (query->offset != NULL) {
        line(w, " OFFSET ", -INDENT_QUERY, INDENT_QUERY, 0);
        put(w, query->offset);
    }
    if (query->limit != NULL) {
        line(w, query->limit_with_ties ? " FETCH FIRST " : " LIMIT ", -INDENT_QUERY, INDENT_QUERY,
            0);
        bool whole = !query->limit_with_ties || query->limit->kind == AST_CONST;
        text(w, whole ? "" : "(");
        put(w, query->limit);
        text(w, whole ? "" : ")");
        text(w, query->limit_with_ties ? " ROWS WITH TIES" : "");
    }
    AST_FOREACH(at, query->locking)
    {
        static const char *const words[] = {[AST_LOCK_KEY_SHARE] = " FOR KEY SHARE",
            [AST_LOCK_SHARE] = " FOR SHARE",
            [AST_LOCK_NO_KEY_UPDATE] = " FOR NO KEY UPDATE",
            [AST_LOCK_UPDATE] = " FOR UPDATE"};
        const struct ast_locking *locking = ast_as_locking(*at);
        line(w, words[locking->strength], -INDENT_QUERY, INDENT_QUERY, 0);
        const char *between = " OF ";
        AST_FOREACH(table, locking->tables)
        {
            text(w, between);
            name(w, ast_as_table(*table)->name);
            between = ", ";
        }
        text(w, locking->wait == AST_LOCK_NOWAIT ? " NOWAIT"
                : locking->wait == AST_LOCK_SKIP ? " SKIP LOCKED"
                                                 : "");
    }
}

static void
put_query(struct writer *w, const struct ast_select *query, int indent)
{
    int before = w->indent;
    w->indent = indent;
    if (ast_list_count(query->with.ctes) > 0) {
        put_with(w, &query->with);
    }
    put_body(w, query);
    if (query->op != AST_SET_NONE) {
        w->indent += INDENT_QUERY;
    }
    put_tail(w, query);
    w->indent = before;
}

void
parser_deparse_query(
    const struct parser_deparse *style, const struct ast_select *query, struct buffer *to)
{
    struct writer w = {.style = style, .to = to};
    put_query(&w, query, 0);
}

void
parser_deparse_expression(
    const struct parser_deparse *style, const struct ast_node *expr, struct buffer *to)
{
    struct writer w = {.style = style, .to = to};
    put(&w, expr);
}
