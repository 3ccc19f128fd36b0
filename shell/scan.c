#include "shell/scan.h"

#include <stdbool.h>
#include <string.h>

void
scan_reset(struct scanner *scanner)
{
    scanner->mode = SCAN_NORMAL;
    scanner->comment_depth = 0;
    scanner->paren_depth = 0;
    scanner->tag_size = 0;
}

static bool
is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool
is_name_char(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '$';
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The size of a $tag$ at `text`, or 0. */
static size_t
dollar_tag(const char *text, size_t size)
{
    size_t at = 1;
    if (at < size && is_name_start(text[at])) {
        while (at < size && is_name_char(text[at]) && text[at] != '$') {
            at++;
        }
    }
    return at < size && text[at] == '$' && at + 1 <= SCAN_TAG_MAX ? at + 1 : 0;
}

/* Inside a quote or comment: how many bytes to take, and perhaps leave it. */
static size_t
scan_inside(struct scanner *scanner, const char *text, size_t size)
{
    char next = size > 1 ? text[1] : '\0';
    switch (scanner->mode) {
    case SCAN_ESCAPE_QUOTE:
        if (text[0] == '\\' && size > 1) {
            return 2;
        }
        __attribute__((fallthrough));
    case SCAN_QUOTE:
        if (text[0] == '\'') { /* a doubled quote leaves and comes back, which is the same */
            if (next == '\'') {
                return 2;
            }
            scanner->mode = SCAN_NORMAL;
        }
        return 1;
    case SCAN_NAME:
        if (text[0] == '"') {
            scanner->mode = SCAN_NORMAL;
        }
        return 1;
    case SCAN_DOLLAR:
        if (size >= scanner->tag_size && memcmp(text, scanner->tag, scanner->tag_size) == 0) {
            scanner->mode = SCAN_NORMAL;
            return scanner->tag_size;
        }
        return 1;
    case SCAN_COMMENT:
        if (text[0] == '/' && next == '*') {
            scanner->comment_depth++;
            return 2;
        }
        if (text[0] == '*' && next == '/') {
            if (--scanner->comment_depth == 0) {
                scanner->mode = SCAN_NORMAL;
            }
            return 2;
        }
        return 1;
    case SCAN_NORMAL:
        break;
    }
    return 1;
}

/* Outside of quotes: how many bytes to take, and perhaps enter one. */
static size_t
scan_outside(struct scanner *scanner, const char *text, size_t size)
{
    char next = size > 1 ? text[1] : '\0';
    size_t tag_size;
    if (is_name_start(text[0])) {
        size_t at = 1;
        while (at < size && is_name_char(text[at])) {
            at++;
        }
        if (at == 1 && (text[0] == 'e' || text[0] == 'E') && next == '\'') {
            scanner->mode = SCAN_ESCAPE_QUOTE;
            return 2;
        }
        return at;
    }
    switch (text[0]) {
    case '\'':
        scanner->mode = SCAN_QUOTE;
        return 1;
    case '"':
        scanner->mode = SCAN_NAME;
        return 1;
    case '/':
        if (next == '*') {
            scanner->mode = SCAN_COMMENT;
            scanner->comment_depth = 1;
            return 2;
        }
        return 1;
    case '$':
        tag_size = dollar_tag(text, size);
        if (tag_size > 0) {
            scanner->mode = SCAN_DOLLAR;
            scanner->tag_size = tag_size;
            memcpy(scanner->tag, text, tag_size);
            return tag_size;
        }
        return 1;
    case ':':
        return next == ':' ? 2 : 1;
    case '(':
        scanner->paren_depth++;
        return 1;
    case ')':
        scanner->paren_depth -= scanner->paren_depth > 0;
        return 1;
    default:
        return 1;
    }
}

static bool
begins_variable(char c)
{
    return is_name_char(c) || c == '\'' || c == '"' || c == '{';
}

enum scan_end
scan_line(struct scanner *scanner, const char *line, size_t size, size_t *at, struct buffer *query)
{
    while (*at < size) {
        const char *text = line + *at;
        size_t left = size - *at;
        size_t taken;
        if (scanner->mode != SCAN_NORMAL) {
            taken = scan_inside(scanner, text, left);
        } else if (text[0] == '\\') {
            return SCAN_BACKSLASH;
        } else if (text[0] == ':' && left > 1 && begins_variable(text[1])) {
            return SCAN_VARIABLE;
        } else if (text[0] == '-' && left > 1 && text[1] == '-') {
            const char *newline = memchr(text, '\n', left);
            taken = newline == NULL ? left : (size_t)(newline - text);
            if (query->size == 0) {
                *at += taken;
                continue;
            }
        } else if (is_space(text[0]) && query->size == 0) {
            ++*at;
            continue;
        } else if (text[0] == ';' && scanner->paren_depth == 0) {
            buffer_add(query, ";", 1);
            ++*at;
            return SCAN_SEMICOLON;
        } else {
            taken = scan_outside(scanner, text, left);
        }
        buffer_add(query, text, taken);
        *at += taken;
    }
    return SCAN_INCOMPLETE;
}

char
scan_prompt(const struct scanner *scanner)
{
    switch (scanner->mode) {
    case SCAN_QUOTE:
    case SCAN_ESCAPE_QUOTE:
        return '\'';
    case SCAN_NAME:
        return '"';
    case SCAN_DOLLAR:
        return '$';
    case SCAN_COMMENT:
        return '*';
    case SCAN_NORMAL:
        break;
    }
    return scanner->paren_depth > 0 ? '(' : '-';
}
