/*
 * shell/scan.h - where a statement ends.
 *
 * Pure. Knows strings, quoted names, dollar quotes, comments and parentheses, and nothing else of
 * SQL. State lives between lines, so that a statement may have many.
 */
#ifndef SHELL_SCAN_H
#define SHELL_SCAN_H

#include <stddef.h>

#include "base/bytes.h"

enum scan_mode {
    SCAN_NORMAL,
    SCAN_QUOTE,        /* '...' */
    SCAN_ESCAPE_QUOTE, /* E'...' */
    SCAN_NAME,         /* "..." */
    SCAN_DOLLAR,       /* $tag$...$tag$ */
    SCAN_COMMENT,      /* nesting */
};

enum scan_end {
    SCAN_INCOMPLETE, /* the line is used up */
    SCAN_SEMICOLON,  /* a statement ends here; its text, with the semicolon, is in `query` */
    SCAN_BACKSLASH,  /* a command of the shell begins here */
    SCAN_VARIABLE,   /* :name, :'name', :"name" or :{?name} may begin here; if not, take the : */
};

enum {
    SCAN_TAG_MAX = 64
};

struct scanner {
    enum scan_mode mode;
    unsigned comment_depth;
    unsigned paren_depth;
    size_t tag_size; /* of $tag$, both dollars included */
    char tag[SCAN_TAG_MAX];
};

/* Begin a new statement. */
void scan_reset(struct scanner *scanner);

/* Scan line[*at, size) up to the first end and append what belongs to the statement to `query`.
 * White space and one-line comments in front of a statement are dropped. *at is moved behind the
 * semicolon, or to the backslash or colon. */
enum scan_end scan_line(
    struct scanner *scanner, const char *line, size_t size, size_t *at, struct buffer *query);

/* The sign in the continuation prompt: - ' " $ * ( */
char scan_prompt(const struct scanner *scanner);

#endif /* SHELL_SCAN_H */
