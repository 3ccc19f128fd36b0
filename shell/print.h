/*
 * shell/print.h - a result as text.
 *
 * Pure but for the stream. The looks are psql's: aligned with border 1 ("+" ends a line that goes
 * on in the next), expanded, unaligned.
 */
#ifndef SHELL_PRINT_H
#define SHELL_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/bytes.h"

struct print_column {
    const char *name;
    bool right; /* numbers */
};

/* Rows of cells; a cell with data == NULL is a NULL. All memory is the arena's. */
struct print_table {
    struct arena *arena;
    const char *title; /* or NULL */
    struct print_column *columns;
    size_t column_count;
    struct slice *cells; /* row by row */
    size_t cell_count, cell_capacity;
    size_t row_count;
    const char **footers; /* instead of "(n rows)" */
    size_t footer_count, footer_capacity;
    bool no_footer;
};

enum print_format {
    PRINT_ALIGNED,
    PRINT_UNALIGNED,
    PRINT_CSV,
};

enum print_expanded {
    PRINT_EXPANDED_OFF,
    PRINT_EXPANDED_ON,
    PRINT_EXPANDED_AUTO, /* aligned tables that are wider than the screen */
};

struct print_options {
    enum print_format format;
    enum print_expanded expanded;
    bool tuples_only;
    unsigned screen_columns; /* 0: no screen */
    const char *null_text;
    const char *separator; /* unaligned: between fields */
};

void print_add_cell(struct print_table *table, struct slice cell);
/* A text cell; NULL is a NULL. */
void print_add_text(struct print_table *table, const char *text);
void print_add_footer(struct print_table *table, const char *text);

/* About how many lines print_table writes: cells of several lines count as one. */
size_t print_line_count(const struct print_table *table, const struct print_options *options);

void print_table(FILE *to, const struct print_table *table, const struct print_options *options);

/* Columns that a character takes on a terminal, and its bytes; bad UTF-8 is one byte wide. */
unsigned print_char_width(const uint8_t *text, size_t size, size_t *char_size);

#endif /* SHELL_PRINT_H */
