#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define ERR_SQLSTATE(name, sqlstate, text) [name] = (sqlstate),
static const char *const sqlstates[ERR_COUNT] = {ERR_LIST(ERR_SQLSTATE)};

#define ERR_CONDITION(name, sqlstate, text) [name] = (text),
static const char *const conditions[ERR_COUNT] = {ERR_LIST(ERR_CONDITION)};

_Noreturn void
assert_failed(const char *expr, const char *file, int line, const char *func)
{
    (void)fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, func, expr);
    abort();
}

const char *
err_sqlstate(enum err code)
{
    ASSERT(code < ERR_COUNT);
    return sqlstates[code];
}

enum err
err_of_sqlstate(const char *sqlstate)
{
    for (int i = 1; i < ERR_COUNT; i++) {
        if (strncmp(err_sqlstate((enum err)i), sqlstate, 5) == 0) {
            return (enum err)i;
        }
    }
    return ERR_OK;
}

const char *
err_condition(enum err code)
{
    ASSERT(code < ERR_COUNT);
    return conditions[code];
}

void
diag_clear(struct diag *diag)
{
    diag->code = ERR_OK;
    diag->position = 0;
    diag->line = 0;
    diag->file = NULL;
    diag->routine = NULL;
    diag->message[0] = '\0';
    diag->detail[0] = '\0';
    diag->hint[0] = '\0';
    diag->context[0] = '\0';
    diag->schema[0] = '\0';
    diag->table[0] = '\0';
    diag->column[0] = '\0';
    diag->constraint[0] = '\0';
}

/* Cut at a character boundary: a client that checks UTF-8 must never see half a character. */
static void
format_cut(char *text, size_t size, const char *fmt, va_list args)
{
    int length = vsnprintf(text, size, fmt, args);
    if (length < 0) {
        text[0] = '\0';
        return;
    }
    if ((size_t)length < size) {
        return;
    }
    size_t end = size - sizeof "...";
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80) {
        end--;
    }
    memcpy(text + end, "...", sizeof "...");
}

enum err
diag_set_at(struct diag *diag, enum err code, const char *file, int line, const char *fmt, ...)
{
    ASSERT(code != ERR_OK);
    if (diag == NULL) {
        return code;
    }
    /* The words may quote the old ones (fmt's arguments may lie in diag), so clear afterwards. */
    char message[DIAG_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    format_cut(message, sizeof message, fmt, args);
    va_end(args);

    diag_clear(diag);
    memcpy(diag->message, message, strlen(message) + 1);
    diag->code = code;
    diag->file = file;
    diag->line = line;
    return code;
}

void
diag_detail(struct diag *diag, const char *fmt, ...)
{
    if (diag == NULL) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    format_cut(diag->detail, sizeof diag->detail, fmt, args);
    va_end(args);
}

void
diag_hint(struct diag *diag, const char *fmt, ...)
{
    if (diag == NULL) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    format_cut(diag->hint, sizeof diag->hint, fmt, args);
    va_end(args);
}

void
diag_context(struct diag *diag, const char *fmt, ...)
{
    if (diag == NULL) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    format_cut(diag->context, sizeof diag->context, fmt, args);
    va_end(args);
}

void
diag_context_add(struct diag *diag, const char *fmt, ...)
{
    size_t used = diag == NULL ? 0 : strlen(diag->context);
    if (diag == NULL || used + 2 >= sizeof diag->context) {
        return;
    }
    if (used > 0) {
        diag->context[used++] = '\n';
    }
    va_list args;
    va_start(args, fmt);
    format_cut(diag->context + used, sizeof diag->context - used, fmt, args);
    va_end(args);
}

void
diag_position(struct diag *diag, uint32_t position)
{
    if (diag != NULL) {
        diag->position = position;
    }
}

static void
name_copy(char *to, const char *from)
{
    if (from != NULL) {
        size_t length = strlen(from);
        if (length >= DIAG_NAME_MAX) {
            length = DIAG_NAME_MAX - 1;
            while (length > 0 && ((unsigned char)from[length] & 0xC0) == 0x80) {
                length--;
            }
        }
        memcpy(to, from, length);
        to[length] = '\0';
    }
}

void
diag_names(struct diag *diag, const char *schema, const char *table, const char *column,
    const char *constraint)
{
    if (diag == NULL) {
        return;
    }
    name_copy(diag->schema, schema);
    name_copy(diag->table, table);
    name_copy(diag->column, column);
    name_copy(diag->constraint, constraint);
}
