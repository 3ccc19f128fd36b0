/*
 * parser/parser.h - from the text of statements to syntax trees.
 *
 * Pure: nothing is looked up, nothing sleeps, nothing outlives the arena given. Any bytes are
 * allowed as input; whatever they are, the answer is a tree or an error with its position.
 */
#ifndef PARSER_PARSER_H
#define PARSER_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "parser/ast.h"

/* All statements of text[0..size), which needs no NUL at its end: *statements is a list of
 * AST_STATEMENT, empty if there is nothing but blanks, comments and semicolons. Strings of the tree
 * may point into the arena, never into text.
 *
 * Errors, with diag's position in characters: ERR_SYNTAX (syntax error at or near "x"),
 * ERR_NOT_IN_REPERTOIRE (not UTF-8, or a NUL), ERR_STATEMENT_TOO_COMPLEX (nesting), ERR_LIMIT (more
 * than 1 GiB), ERR_FEATURE_NOT_SUPPORTED, and what PostgreSQL's grammar itself raises
 * (ERR_INVALID_ESCAPE_SEQUENCE, ERR_INVALID_PARAMETER_VALUE ..). */
enum err parser_parse(struct arena *arena, const char *text, size_t size,
    struct ast_list **statements, struct diag *diag);

/* One expression alone, as the catalog keeps DEFAULT and CHECK. */
enum err parser_parse_expression(
    struct arena *arena, const char *text, size_t size, struct ast_node **expr, struct diag *diag);

/* One type name alone: for regtype, casts in COPY, the shell. */
enum err parser_parse_type(
    struct arena *arena, const char *text, size_t size, struct ast_type **type, struct diag *diag);

/* The 1-based number of the character at this byte of the text: for error positions. A location
 * of -1 is 0, "none". */
uint32_t parser_position(const char *text, size_t size, int32_t location);

/* ---- literals to parameters ------------------------------------------------------------------ */

enum parser_literal_kind {
    PARSER_LITERAL_INT4,    /* integer */
    PARSER_LITERAL_INT8,    /* integer */
    PARSER_LITERAL_NUMERIC, /* text */
    PARSER_LITERAL_STRING,  /* text, without quotes, escapes resolved; type unknown */
};

struct parser_literal {
    enum parser_literal_kind kind;
    int32_t location; /* in the original text */
    int64_t integer;
    const char *text; /* into the original text where nothing had to be resolved, else into `to` */
    uint32_t size;
};

enum parser_normal {
    PARSER_NORMAL_NO,       /* not to be cached by text */
    PARSER_NORMAL_VERBATIM, /* cacheable under its own text; no literal was taken out */
    PARSER_NORMAL_LIFTED,   /* cacheable under the normalised text with its literals */
};

enum {
    PARSER_LITERALS_MAX = 64, /* a statement with more is PARSER_NORMAL_NO */
};

struct parser_normalized {
    enum parser_normal kind;
    const char *text; /* normalised text; == the original for VERBATIM */
    size_t size;
    uint32_t literal_count;
    struct parser_literal literals[PARSER_LITERALS_MAX]; /* $1 is literals[0] */
};

/* For the plan cache of the simple protocol: one pass over a string that may be a single SELECT,
 * INSERT, UPDATE or DELETE. Literals become $1, $2 ..; those whose place gives them a meaning of
 * their own (ORDER BY 1, varchar(10), date '..', LIKE patterns ..) stay. Blanks and comments around
 * and a final semicolon are dropped. `to` has capacity `to_size`: size + 4 * PARSER_LITERALS_MAX +
 * 1 always suffices, and less only makes it PARSER_NORMAL_NO.
 *
 * What it promises: if the normalised text parses and binds with the literals given as parameters
 * (INT4 int4, INT8 int8, NUMERIC numeric, STRING as an unknown literal), it means what the text
 * means. If that fails, nothing is known: the caller starts again from the original text, which
 * also gives errors their right words and positions. */
void parser_normalize(
    const char *text, size_t size, char *to, size_t to_size, struct parser_normalized *result);

/* ---- identifiers ----------------------------------------------------------------------------- */

enum parser_keyword_class {
    PARSER_NOT_A_KEYWORD,
    PARSER_UNRESERVED,
    PARSER_COL_NAME,       /* can be a column or table name, not a function or type */
    PARSER_TYPE_FUNC_NAME, /* can be a function or type name */
    PARSER_RESERVED,
};

struct parser_keyword {
    const char *word;
    enum parser_keyword_class class;
    bool bare_label; /* can be a column label without AS */
};

/* PostgreSQL 15's keywords, sorted by word (pg_get_keywords, completion). */
const struct parser_keyword *parser_keywords(size_t *count);
/* word is lower case. */
enum parser_keyword_class parser_keyword_class(const char *word, size_t size);

/* The name as it must be written: quoted if it would not come back as it is. */
char *parser_quote_ident(struct arena *arena, const char *name);
/* 'text', with E and doubled backslashes where there are any. */
char *parser_quote_literal(struct arena *arena, const char *text, size_t size);

#endif /* PARSER_PARSER_H */
