/*
 * parser/scanner.h - text to tokens, by PostgreSQL's lexical rules.
 *
 * One function, no memory of its own, no copies: a token is a range of bytes and what it looks
 * like. Who needs the value of a string or an identifier asks for it (scanner_decode_*). So the
 * parser, the plan cache (parser_normalize) and a shell that looks for the end of a statement all
 * share it.
 */
#ifndef PARSER_SCANNER_H
#define PARSER_SCANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum scan_kind {
    SCAN_END,
    SCAN_WORD,         /* identifier or keyword as written, not quoted */
    SCAN_QUOTED_IDENT, /* "x" */
    SCAN_STRING,       /* 'x', perhaps continued on further lines */
    SCAN_ESCAPE_STRING,
    SCAN_DOLLAR_STRING,
    SCAN_BIT_STRING,
    SCAN_HEX_STRING,
    SCAN_UNICODE_STRING, /* U&'x' */
    SCAN_UNICODE_IDENT,  /* U&"x" */
    SCAN_INTEGER,        /* digits; may be too large for an integer */
    SCAN_NUMERIC,
    SCAN_PARAM, /* $1 */
    SCAN_OPERATOR,
    SCAN_SYMBOL,         /* one of , ( ) [ ] . ; : + - * / % ^ < > =  in `symbol` */
    SCAN_TYPECAST,       /* :: */
    SCAN_DOT_DOT,        /* .. */
    SCAN_COLON_EQUALS,   /* := */
    SCAN_EQUALS_GREATER, /* => */
    SCAN_LESS_EQUALS,
    SCAN_GREATER_EQUALS,
    SCAN_NOT_EQUALS, /* <> and != */
    SCAN_ILLEGAL,    /* a character that begins no token */
    SCAN_ERROR,      /* see `error`; the token is what an error message names */
};

enum scan_error {
    SCAN_OK,
    SCAN_UNTERMINATED_STRING,
    SCAN_UNTERMINATED_BIT_STRING,
    SCAN_UNTERMINATED_HEX_STRING,
    SCAN_UNTERMINATED_DOLLAR,
    SCAN_UNTERMINATED_IDENT,
    SCAN_UNTERMINATED_COMMENT,
    SCAN_EMPTY_IDENT,
    SCAN_JUNK_NUMBER,
    SCAN_JUNK_PARAM,
    SCAN_OPERATOR_TOO_LONG,
};

struct scan_token {
    enum scan_kind kind;
    enum scan_error error;
    uint32_t start;
    uint32_t end;
    char symbol;
};

struct scanner {
    const char *text;
    uint32_t size;
    uint32_t at;
};

/* size is below 2^31: the caller has checked. */
void scanner_create(struct scanner *scanner, const char *text, size_t size);

/* The next token; blanks and comments before it are skipped. After SCAN_END again SCAN_END. */
void scanner_next(struct scanner *scanner, struct scan_token *token);

/* What PostgreSQL says to this: "unterminated quoted string". */
const char *scan_error_text(enum scan_error error);

/* Values. All results are in the arena and end in NUL. A string whose escapes make no valid text
 * is an error with its words set, and its byte offset in *location. */
enum err scanner_decode_string(const struct scanner *scanner, const struct scan_token *token,
    struct arena *arena, const char **value, uint32_t *size, int32_t *location, struct diag *diag);
/* SCAN_WORD folded, SCAN_QUOTED_IDENT without quotes; cut at 63 bytes. */
const char *scanner_decode_ident(
    const struct scanner *scanner, const struct scan_token *token, struct arena *arena);

/* The offset of the first byte that is not part of valid UTF-8 or is NUL; size if all is well. */
size_t utf8_invalid_at(const char *text, size_t size);
/* Bytes of the sequence that begins here; 0 if it is not valid. */
unsigned utf8_sequence(const char *text, size_t size);

#endif /* PARSER_SCANNER_H */
