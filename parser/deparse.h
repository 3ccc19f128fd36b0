/*
 * parser/deparse.h - a query's tree back to text, laid out as PostgreSQL lays out a view.
 *
 * The tree knows no types and no relations. Who does tells by the callbacks below; each may be NULL
 * and may answer NULL, and then the text is what was written. Strings that callbacks give are put
 * as they are: quoted where that is needed.
 */
#ifndef PARSER_DEPARSE_H
#define PARSER_DEPARSE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "parser/ast.h"

struct parser_deparse {
    struct arena *arena;
    bool pretty;              /* only the parentheses that are needed */
    bool keep;                /* for keeping, not for showing: BETWEEN and IN stay what they are */
    const char *const *names; /* of the result's columns; or NULL */
    uint32_t name_count;
    void *arg;
    const char *(*table)(void *arg, const struct ast_table *table);
    const char *(*column)(void *arg, const struct ast_column *column);
    /* Column i of a star and the name it has in the result; false: there are no more. */
    bool (*star)(void *arg, const struct ast_column *column, uint32_t i, const char **text,
        const char **name);
    const char *(*type)(void *arg, const struct ast_type *type);
    /* The whole of an untyped literal, quotes included. */
    const char *(*literal)(void *arg, const struct ast_const *literal);
    /* What an untyped literal turned out to be. */
    const char *(*literal_type)(void *arg, const struct ast_const *literal);
    /* The type an operand is silently cast to. */
    const char *(*operand_type)(void *arg, const struct ast_node *operand);
    /* The name of a target that has none written. */
    const char *(*target_name)(void *arg, const struct ast_node *value);
};

/* Of data-modifying WITH queries the name alone. Trees are bounded (A2), and a level takes a few
 * hundred bytes of stack.
 */
void parser_deparse_query(
    const struct parser_deparse *style, const struct ast_select *query, struct buffer *to);
void parser_deparse_expression(
    const struct parser_deparse *style, const struct ast_node *expr, struct buffer *to);

#endif /* PARSER_DEPARSE_H */
