/*
 * sql/session/copy_internal.h - COPY's parts, as its two files see them.
 */
#ifndef SQL_SESSION_COPY_INTERNAL_H
#define SQL_SESSION_COPY_INTERNAL_H

#include "sql/session/session_internal.h"

struct copy_options {
    bool csv, binary;
    char delimiter, quote, escape;
    const char *null_text;
    bool header, header_match;
    const struct ast_list *force_quote;
    bool force_quote_all;
    const struct ast_list *force_null, *force_not_null;
};

struct field {
    const char *text;
    size_t size;
    bool null;
};

struct copier {
    struct task *task;
    struct sql_session *session;
    struct diag *diag;
    struct copy_options options;
    const char *table_name;
    /* Reading. */
    struct slice chunk; /* what the sink gave and we have not looked at */
    bool input_done;
    struct buffer line;   /* the record, without its line end */
    struct buffer values; /* unescaped fields, one after another */
    uint64_t line_number;
    /* Where we are in it, for the words of an error. */
    bool line_whole;
    const char *column_name; /* NULL: none in particular */
    const struct field *field;
    struct field *fields;
    uint32_t field_count; /* of them, in the record at hand */
    uint32_t field_max;
    struct progress progress;
};

/* What the client sent next, in copier->chunk; it is empty at the end. */
enum err copy__next_chunk(struct copier *copier);

/* ---- copy_binary.c: PostgreSQL 15 documentation, COPY, "Binary Format" */

enum err copy__binary_begin_in(struct copier *copier);
/* The next row's fields, `expected` of them, as sent; *end: there is none. */
enum err copy__binary_row_in(struct copier *copier, uint32_t expected, bool *end);
/* Into copier->line: what goes before the first row, a row, what goes behind the last. */
void copy__binary_begin_out(struct copier *copier);
void copy__binary_row_out(
    struct copier *copier, const struct plan *plan, const struct datum *values);
void copy__binary_end_out(struct copier *copier);

#endif /* SQL_SESSION_COPY_INTERNAL_H */
