/*
 * sql/session/copy.c - COPY FROM STDIN and TO STDOUT; text and csv (copy_binary.c has the third).
 *
 * Format: PostgreSQL 15 documentation, COPY, "File Formats". Input comes in any cuts; a reader
 * gathers one line (text) or record (csv: line ends inside quotes count) at a time, splits it into
 * fields, and hands the values to the executor's inserter.
 */
#include <stdio.h>
#include <strings.h>

#include "base/assert.h"
#include "base/mem.h"
#include "parser/scanner.h"
#include "sql/catalog/access.h"
#include "sql/catalog/index_key.h"
#include "sql/catalog/statistics.h"
#include "sql/session/copy_internal.h"

enum {
    LINE_SIZE_MAX = 1 << 30,
};

/* ---- options ----------------------------------------------------------------------------- */

static enum err
single_byte(const struct ast_option *option, const char *text, char *to, const char *what,
    struct diag *diag)
{
    (void)option;
    if (strlen(text) != 1) {
        return diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "COPY %s must be a single one-byte character", what);
    }
    *to = text[0];
    return ERR_OK;
}

static enum err
read_option(struct copier *copier, const struct ast_option *option, struct diag *diag)
{
    struct copy_options *options = &copier->options;
    const struct ast_const *value = option->value != NULL && option->value->kind == AST_CONST
                                        ? ast_as_const(option->value)
                                        : NULL;
    const char *text = value != NULL && value->text != NULL ? value->text : "";
    bool on = value == NULL || (value->kind == AST_CONST_BOOL && value->boolean) ||
              strcasecmp(text, "on") == 0 || strcasecmp(text, "true") == 0 ||
              strcmp(text, "1") == 0;
    if (strcmp(option->name, "format") == 0) {
        options->csv = strcasecmp(text, "csv") == 0;
        options->binary = strcasecmp(text, "binary") == 0;
        if (!options->csv && !options->binary && strcasecmp(text, "text") != 0) {
            return diag_set(
                diag, ERR_INVALID_PARAMETER_VALUE, "COPY format \"%s\" not recognized", text);
        }
    } else if (strcmp(option->name, "delimiter") == 0) {
        return single_byte(option, text, &options->delimiter, "delimiter", diag);
    } else if (strcmp(option->name, "null") == 0) {
        options->null_text = text;
    } else if (strcmp(option->name, "header") == 0) {
        options->header_match = strcasecmp(text, "match") == 0;
        options->header = on || options->header_match;
    } else if (strcmp(option->name, "quote") == 0) {
        return single_byte(option, text, &options->quote, "quote", diag);
    } else if (strcmp(option->name, "escape") == 0) {
        return single_byte(option, text, &options->escape, "escape", diag);
    } else if (strcmp(option->name, "force_quote") == 0) {
        options->force_quote = option->list;
        options->force_quote_all = option->list != NULL && option->list->count == 1 &&
                                   option->list->items[0]->kind == AST_COLUMN;
    } else if (strcmp(option->name, "force_null") == 0) {
        options->force_null = option->list;
    } else if (strcmp(option->name, "force_not_null") == 0) {
        options->force_not_null = option->list;
    } else if (strcmp(option->name, "encoding") == 0) {
        if (strcasecmp(text, "utf8") != 0 && strcasecmp(text, "utf-8") != 0) {
            return diag_set(
                diag, ERR_FEATURE_NOT_SUPPORTED, "COPY encoding \"%s\" is not supported", text);
        }
    } else if (strcmp(option->name, "freeze") != 0) { /* freeze: rows are as good as frozen */
        return diag_set(diag, ERR_SYNTAX, "option \"%s\" not recognized", option->name);
    }
    return ERR_OK;
}

/* FORCE_.. is of csv, and of one direction. */
static enum err
check_forced(const struct copy_options *options, const struct ast_copy *copy, struct diag *diag)
{
    const struct {
        const struct ast_list *list;
        const char *name;
        bool from;
    } forced[] = {{options->force_quote, "force quote", false},
        {options->force_not_null, "force not null", true},
        {options->force_null, "force null", true}};
    for (size_t i = 0; i < sizeof forced / sizeof forced[0]; i++) {
        if (forced[i].list != NULL && !options->csv) {
            return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "COPY %s available only in CSV mode",
                forced[i].name);
        }
        if (forced[i].list != NULL && forced[i].from != copy->from) {
            return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "COPY %s only available using COPY %s",
                forced[i].name, forced[i].from ? "FROM" : "TO");
        }
    }
    return ERR_OK;
}

static enum err
read_options(struct copier *copier, const struct ast_copy *copy, const char *text, size_t size,
    struct diag *diag)
{
    struct copy_options *options = &copier->options;
    AST_FOREACH(at, copy->options)
    {
        enum err err = read_option(copier, ast_as_option(*at), diag);
        if (err != ERR_OK) {
            diag_position(diag, parser_position(text, size, (*at)->location));
            return err;
        }
    }
    if (options->binary && (options->delimiter != 0 || options->null_text != NULL)) {
        return diag_set(diag, ERR_SYNTAX, "cannot specify %s in BINARY mode",
            options->delimiter != 0 ? "DELIMITER" : "NULL");
    }
    if (options->binary && options->header) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "cannot specify HEADER in BINARY mode");
    }
    options->delimiter = options->delimiter != 0 ? options->delimiter : (options->csv ? ',' : '\t');
    options->null_text =
        options->null_text != NULL ? options->null_text : (options->csv ? "" : "\\N");
    if (!options->csv && (options->quote != 0 || options->escape != 0)) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "COPY %s available only in CSV mode",
            options->quote != 0 ? "quote" : "escape");
    }
    TRY(check_forced(options, copy, diag));
    options->quote = options->quote != 0 ? options->quote : '"';
    options->escape = options->escape != 0 ? options->escape : options->quote;
    return ERR_OK;
}

/* ---- records in
 * ---------------------------------------------------------------------------------- */

enum err
copy__next_chunk(struct copier *copier)
{
    const struct sql_sink *sink = copier->session->sink;
    while (copier->chunk.size == 0 && !copier->input_done) {
        TRY(sink->copy_in_read(
            copier->task, sink->arg, &copier->chunk, &copier->input_done, copier->diag));
        progress_add(&copier->progress, PROGRESS_BYTES, copier->chunk.size);
    }
    return ERR_OK;
}

/* How many quotes: csv records end at a line end outside quotes. */
static bool
inside_quotes(const struct copier *copier, const uint8_t *bytes, size_t size, bool inside)
{
    char quote = copier->options.quote;
    char escape = copier->options.escape;
    for (size_t i = 0; i < size; i++) {
        if (inside && escape != quote && (char)bytes[i] == escape) {
            i++;
        } else if ((char)bytes[i] == quote) {
            inside = !inside;
        }
    }
    return inside;
}

/* One record into line; *end: there is none. */
static enum err
read_record(struct copier *copier, bool *end)
{
    copier->line.size = 0;
    *end = false;
    bool inside = false;
    size_t checked = 0;
    bool any = false;
    for (;;) {
        TRY(copy__next_chunk(copier));
        if (copier->chunk.size == 0) {
            *end = !any;
            copier->line_number += any && !inside ? 1 : 0; /* a last line without its end */
            break;
        }
        any = true;
        const uint8_t *newline = memchr(copier->chunk.data, '\n', copier->chunk.size);
        size_t part = newline == NULL ? copier->chunk.size : (size_t)(newline - copier->chunk.data);
        if (copier->line.size + part > LINE_SIZE_MAX) {
            return diag_set(copier->diag, ERR_PROGRAM_LIMIT, "COPY line is too long");
        }
        buffer_add(&copier->line, copier->chunk.data, part);
        size_t used = part + (newline == NULL ? 0 : 1);
        copier->chunk.data += used;
        copier->chunk.size -= used;
        if (newline == NULL) {
            continue;
        }
        copier->line_number++;
        if (copier->options.csv) {
            inside = inside_quotes(
                copier, copier->line.data + checked, copier->line.size - checked, inside);
            checked = copier->line.size;
            if (inside) {
                buffer_add_u8(&copier->line, '\n');
                checked++;
                continue;
            }
        }
        break;
    }
    if (!*end && copier->line.size > 0 && copier->line.data[copier->line.size - 1] == '\r') {
        copier->line.size--;
    }
    /* "\." alone ends the data, whatever follows. */
    if (!*end && copier->line.size == 2 && memcmp(copier->line.data, "\\.", 2) == 0) {
        *end = true;
        while (!copier->input_done) {
            copier->chunk.size = 0;
            TRY(copy__next_chunk(copier));
        }
    }
    return ERR_OK;
}

static enum err
add_field(struct copier *copier, uint32_t *count, size_t start, bool null, uint32_t expected)
{
    if (*count >= expected) {
        return diag_set(copier->diag, ERR_BAD_COPY_FORMAT, "extra data after last expected column");
    }
    copier->fields[*count].text = (const char *)(uintptr_t)start; /* an offset until the end */
    copier->fields[*count].size = copier->values.size - start;
    copier->fields[*count].null = null;
    (*count)++;
    return ERR_OK;
}

static uint8_t
hex_value(uint8_t c)
{
    return (uint8_t)(c >= 'a' ? c - 'a' + 10 : c >= 'A' ? c - 'A' + 10 : c - '0');
}

static bool
is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The character a backslash sequence stands for; *at is behind the backslash. */
static uint8_t
unescape(const uint8_t *bytes, size_t size, size_t *at)
{
    uint8_t c = bytes[(*at)++];
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    case 'x':
        if (*at < size && is_hex(bytes[*at])) {
            uint8_t value = hex_value(bytes[(*at)++]);
            if (*at < size && is_hex(bytes[*at])) {
                value = (uint8_t)(value << 4 | hex_value(bytes[(*at)++]));
            }
            return value;
        }
        return c;
    default:
        if (c >= '0' && c <= '7') {
            unsigned value = c - '0';
            for (int i = 0; i < 2 && *at < size && bytes[*at] >= '0' && bytes[*at] <= '7'; i++) {
                value = value * 8 + (bytes[(*at)++] - '0');
            }
            return (uint8_t)value;
        }
        return c;
    }
}

static enum err
split_text(struct copier *copier, uint32_t expected, uint32_t *count)
{
    size_t size = copier->line.size;
    const uint8_t *bytes = size > 0 ? copier->line.data : (const uint8_t *)"";
    size_t null_size = strlen(copier->options.null_text);
    size_t at = 0;
    for (;;) {
        size_t start = copier->values.size;
        size_t raw = at;
        const uint8_t *end = memchr(bytes + at, copier->options.delimiter, size - at);
        size_t plain = end == NULL ? size - at : (size_t)(end - bytes) - at;
        const uint8_t *backslash = memchr(bytes + at, '\\', plain);
        plain = backslash == NULL ? plain : (size_t)(backslash - bytes) - at;
        buffer_add(&copier->values, bytes + at, plain);
        at += plain;
        while (at < size && (char)bytes[at] != copier->options.delimiter) {
            if (bytes[at] == '\\' && at + 1 < size) {
                at++;
                buffer_add_u8(&copier->values, unescape(bytes, size, &at));
            } else {
                buffer_add_u8(&copier->values, bytes[at++]);
            }
        }
        bool null =
            at - raw == null_size && memcmp(bytes + raw, copier->options.null_text, null_size) == 0;
        TRY(add_field(copier, count, start, null, expected));
        if (at >= size) {
            return ERR_OK;
        }
        at++;
    }
}

/* How many bytes mean only themselves, wherever they stand. */
static size_t
plain_size(const struct copy_options *options, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && (char)bytes[at] != options->delimiter &&
           (char)bytes[at] != options->quote && (char)bytes[at] != options->escape) {
        at++;
    }
    return at;
}

static enum err
split_csv(struct copier *copier, uint32_t expected, uint32_t *count)
{
    size_t size = copier->line.size;
    const uint8_t *bytes = size > 0 ? copier->line.data : (const uint8_t *)"";
    const struct copy_options *options = &copier->options;
    size_t null_size = strlen(options->null_text);
    size_t at = 0;
    for (;;) {
        size_t start = copier->values.size;
        bool quoted = false;
        bool inside = false;
        while (at < size && (inside || (char)bytes[at] != options->delimiter)) {
            size_t plain = plain_size(options, bytes + at, size - at);
            if (plain > 0) {
                buffer_add(&copier->values, bytes + at, plain);
                at += plain;
                continue;
            }
            char c = (char)bytes[at];
            if (inside && c == options->escape && at + 1 < size &&
                ((char)bytes[at + 1] == options->quote || (char)bytes[at + 1] == options->escape)) {
                buffer_add_u8(&copier->values, bytes[at + 1]);
                at += 2;
                continue;
            }
            if (c == options->quote) {
                inside = !inside;
                quoted = true;
            } else {
                buffer_add_u8(&copier->values, bytes[at]);
            }
            at++;
        }
        if (inside) {
            return diag_set(copier->diag, ERR_BAD_COPY_FORMAT, "unterminated CSV quoted field");
        }
        bool null = !quoted && copier->values.size - start == null_size &&
                    memcmp(copier->values.data + start, options->null_text, null_size) == 0;
        TRY(add_field(copier, count, start, null, expected));
        if (at >= size) {
            return ERR_OK;
        }
        at++;
    }
}

/* The record's fields, at most `expected` of them: a field that is missing is an error only once
 * those before it are taken (field_at). */
static enum err
split(struct copier *copier, uint32_t expected)
{
    copier->values.size = 0;
    (void)buffer_reserve(&copier->values, copier->line.size + 1);
    size_t bad = utf8_invalid_at((const char *)copier->line.data, copier->line.size);
    if (bad < copier->line.size) {
        return diag_set(copier->diag, ERR_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x%02x", copier->line.data[bad]);
    }
    uint32_t count = 0;
    if (expected > 0 || copier->line.size > 0) {
        TRY(copier->options.csv ? split_csv(copier, expected, &count)
                                : split_text(copier, expected, &count));
    }
    for (uint32_t i = 0; i < count; i++) {
        copier->fields[i].text =
            (const char *)copier->values.data + (uintptr_t)copier->fields[i].text;
    }
    copier->field_count = count;
    return ERR_OK;
}

static enum err
field_at(struct copier *copier, uint32_t i, const char *name, const struct field **field)
{
    *field = &copier->fields[i];
    return i < copier->field_count ? ERR_OK
                                   : diag_set(copier->diag, ERR_BAD_COPY_FORMAT,
                                         "missing data for column \"%s\"", name);
}

/* ---- COPY FROM
 * ------------------------------------------------------------------------------------- */

struct target {
    struct catalog *catalog;
    const struct relation *relation;
    uint16_t *columns; /* of the relation, in the order of the fields */
    const char **names;
    uint32_t count;
    struct expr **defaults; /* per column of the relation; NULL: none, or it is in the list */
    struct expr **checks;
    struct expr *where;               /* or NULL */
    const struct exec_remote *remote; /* the rows are elsewhere, and are checked there */
};

static enum err
check_access(
    struct sql_session *session, const struct target *target, uint32_t wanted, struct diag *diag)
{
    oid_t role = catalog_current_role(target->catalog, &session->env);
    return catalog_relation_privileges(target->catalog, role, target->relation, wanted) == wanted
               ? ERR_OK
               : diag_set(diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied for table %s",
                     target->relation->name);
}

static enum err
find_target(struct copier *copier, const struct ast_copy *copy, struct target *target)
{
    struct diag *diag = copier->diag;
    struct sql_session *session = copier->session;
    enum txn_table_lock mode = copy->from ? TXN_ROW_EXCLUSIVE : TXN_ACCESS_SHARE;
    TRY(catalog_check_database(&session->env, copy->table, diag));
    for (;;) {
        TRY(catalog_get(
            copier->task, session->engine->catalogs, session->txn, &target->catalog, diag));
        target->relation = catalog_relation_on(
            target->catalog, session->env.search_path, copy->table->schema, copy->table->name);
        if (target->relation == NULL) {
            return diag_set(
                diag, ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", copy->table->name);
        }
        TRY(txn_lock_table(copier->task, session->txn, target->relation->oid,
            target->relation->name, mode, TXN_WAIT, diag));
        for (uint16_t i = 0; copy->from && i < target->relation->foreign_count; i++) {
            const struct relation *other = target->relation->foreign[i].referenced_table;
            TRY(txn_lock_table(copier->task, session->txn, other->oid, other->name, TXN_ROW_SHARE,
                TXN_WAIT, diag));
        }
        struct catalog *again = NULL;
        TRY(catalog_get(copier->task, session->engine->catalogs, session->txn, &again, diag));
        bool same = catalog_version(again) == catalog_version(target->catalog);
        catalog_release(again);
        if (same) {
            break;
        }
        catalog_release(target->catalog);
        target->catalog = NULL;
    }
    const struct relation *relation = target->relation;
    TRY(route__check_copy(copier->task, session, target->catalog, copy->from, diag));
    progress_set(&copier->progress, PROGRESS_RELATION, relation->oid);
    TRY(check_access(session, target, copy->from ? PRIVILEGE_INSERT : PRIVILEGE_SELECT, diag));
    bool materialized = relation_is_materialized(relation);
    if (materialized && !copy->from) {
        (void)diag_set(diag, ERR_WRONG_OBJECT_TYPE, "cannot copy from materialized view \"%s\"",
            relation->name);
        diag_hint(diag, "Try the COPY (SELECT ...) TO variant.");
        return ERR_WRONG_OBJECT_TYPE;
    }
    if ((relation->kind != RELATION_TABLE || materialized) && copy->from) {
        return diag_set(diag, ERR_WRONG_OBJECT_TYPE, "cannot copy to %s \"%s\"",
            materialized                      ? "materialized view"
            : relation->kind == RELATION_VIEW ? "view"
                                              : "non-table relation",
            relation->name);
    }
    struct arena *arena = &session->statement;
    target->columns =
        arena_array(arena, (size_t)relation->column_count + 1, sizeof *target->columns);
    target->names = arena_array(arena, (size_t)relation->column_count + 1, sizeof *target->names);
    if (copy->columns == NULL) {
        for (uint16_t i = 0; i < relation->column_count; i++) {
            if (!relation->columns[i].dropped && !relation->columns[i].generated) {
                target->names[target->count] = relation->columns[i].name;
                target->columns[target->count++] = i;
            }
        }
        return ERR_OK;
    }
    AST_FOREACH(at, copy->columns)
    {
        const char *name = ast_as_name(*at)->text;
        int column = relation_column(relation, name);
        if (column < 0) {
            return diag_set(diag, ERR_UNDEFINED_COLUMN,
                "column \"%s\" of relation \"%s\" does not exist", name, relation->name);
        }
        for (uint32_t i = 0; i < target->count; i++) {
            if (target->columns[i] == column) {
                return diag_set(
                    diag, ERR_DUPLICATE_COLUMN, "column \"%s\" specified more than once", name);
            }
        }
        target->names[target->count] = relation->columns[column].name;
        target->columns[target->count++] = (uint16_t)column;
    }
    return ERR_OK;
}

static enum err
bind_expressions(struct copier *copier, struct target *target, const struct ast_node *where)
{
    struct sql_session *session = copier->session;
    struct arena *arena = &session->statement;
    const struct relation *relation = target->relation;
    target->defaults =
        arena_array(arena, (size_t)relation->column_count + 1, sizeof(struct expr *));
    target->checks = arena_array(arena, (size_t)relation->check_count + 1, sizeof(struct expr *));
    session->env.catalog = target->catalog;
    struct plan_context context = {
        .arena = arena,
        .diag = copier->diag,
        .catalog = target->catalog,
        .env = &session->env,
        .db = session->engine->db,
    };
    for (uint16_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        const char *text = catalog_column_default(target->catalog, column);
        bool listed = column->dropped;
        for (uint32_t j = 0; j < target->count; j++) {
            listed = listed || target->columns[j] == i;
        }
        if (column->generated && !column->dropped) {
            TRY(plan_bind_expression(copier->task, &context, column->default_text, relation, 0,
                column_declared_type(column), column_declared_typmod(column),
                &target->defaults[i]));
        } else if (!listed && text != NULL) {
            TRY(plan_bind_expression(copier->task, &context, text, NULL, 0,
                column_declared_type(column), column_declared_typmod(column),
                &target->defaults[i]));
        }
    }
    for (uint16_t i = 0; i < relation->check_count; i++) {
        TRY(plan_bind_expression(copier->task, &context, relation->checks[i].text, relation, 0,
            TYPE_BOOL, -1, &target->checks[i]));
    }
    return where == NULL
               ? ERR_OK
               : plan_bind_condition(copier->task, &context, where, relation, 0, &target->where);
}

static bool
is_listed(const struct ast_list *list, const char *name)
{
    AST_FOREACH(at, list)
    {
        if ((*at)->kind == AST_NAME && strcmp(ast_as_name(*at)->text, name) == 0) {
            return true;
        }
    }
    return false;
}

/* FORCE_NULL, FORCE_NOT_NULL: is the field null? One that says so and is not had quotes. */
static bool
is_null(const struct copier *copier, const struct field *field, const char *name)
{
    const struct copy_options *options = &copier->options;
    if (field->null) {
        return !is_listed(options->force_not_null, name);
    }
    return options->force_null != NULL && field->size == strlen(options->null_text) &&
           memcmp(field->text, options->null_text, field->size) == 0 &&
           is_listed(options->force_null, name);
}

/* One record's values, defaults and checks. *wanted false: WHERE does not want it. */
static enum err
build_row(struct copier *copier, const struct target *target, struct arena *row,
    struct datum *values, bool *wanted)
{
    const struct relation *relation = target->relation;
    struct eval eval = {
        .task = copier->task, .arena = row, .diag = copier->diag, .env = &copier->session->env};
    for (uint16_t i = 0; i < relation->column_count; i++) {
        values[i] = datum_null();
        if (target->defaults[i] != NULL && !relation->columns[i].generated &&
            target->remote == NULL) {
            TRY(exec_evaluate(&eval, target->defaults[i], NULL, NULL, &values[i]));
        }
    }
    for (uint32_t i = 0; i < target->count; i++) {
        const struct field *field = NULL;
        TRY(field_at(copier, i, target->names[i], &field));
        const struct column *column = &relation->columns[target->columns[i]];
        copier->column_name = column->name;
        copier->field = field;
        if (!is_null(copier, field, column->name)) {
            struct slice bytes =
                field->null ? slice_of(copier->options.null_text, strlen(copier->options.null_text))
                            : slice_of(field->text, field->size);
            struct datum *value = &values[target->columns[i]];
            TRY(copier->options.binary
                    ? type_receive(&eval, column->type, column->typmod, bytes, value)
                    : type_input(&eval, column->type, column->typmod, bytes, value));
        }
        if (column->domain != 0) {
            TRY(value_domain_check(&eval, column->domain, values[target->columns[i]]));
        }
    }
    copier->column_name = NULL;
    *wanted = true;
    if (target->where != NULL) {
        struct datum passed;
        TRY(exec_evaluate(&eval, target->where, values, NULL, &passed));
        *wanted = !passed.null && passed.i != 0;
        if (!*wanted) {
            return ERR_OK;
        }
    }
    if (target->remote != NULL) {
        return ERR_OK;
    }
    for (uint16_t i = 0; i < relation->column_count; i++) {
        if (relation->columns[i].generated && !relation->columns[i].dropped) {
            TRY(exec_evaluate(&eval, target->defaults[i], values, NULL, &values[i]));
        }
    }
    for (uint16_t i = 0; i < relation->column_count && relation->check_count > 0; i++) {
        if (relation->columns[i].not_null && !relation->columns[i].dropped && values[i].null) {
            return relation_not_null_violation(
                row, eval.env, relation, values, i, copier->diag); /* before any check */
        }
    }
    for (uint16_t i = 0; i < relation->check_count; i++) {
        struct datum passed;
        TRY(exec_evaluate(&eval, target->checks[i], values, NULL, &passed));
        if (!passed.null && passed.i == 0) {
            return relation_check_violation(
                row, eval.env, relation, values, relation->checks[i].name, copier->diag);
        }
    }
    return ERR_OK;
}

static enum err
check_header(struct copier *copier, const struct target *target)
{
    if (!copier->options.header_match) {
        return ERR_OK;
    }
    TRY(split(copier, target->count));
    for (uint32_t i = 0; i < target->count; i++) {
        const struct field *field = NULL;
        TRY(field_at(copier, i, target->names[i], &field));
        if (field->size != strlen(target->names[i]) ||
            memcmp(field->text, target->names[i], field->size) != 0) {
            return diag_set(copier->diag, ERR_BAD_COPY_FORMAT,
                "column name mismatch in header line field %u: got \"%.*s\", expected \"%s\"",
                i + 1, (int)field->size, field->text, target->names[i]);
        }
    }
    return ERR_OK;
}

static enum err
insert_records(struct copier *copier, const struct target *target, struct exec_inserter *inserter,
    struct arena *row, uint64_t *rows)
{
    struct datum *values = arena_array(
        &copier->session->statement, (size_t)target->relation->column_count + 1, sizeof *values);
    bool header = copier->options.header;
    bool binary = copier->options.binary;
    TRY(binary ? copy__binary_begin_in(copier) : ERR_OK);
    for (;;) {
        bool end = false;
        copier->line_whole = false;
        TRY(binary ? copy__binary_row_in(copier, target->count, &end) : read_record(copier, &end));
        if (end) {
            return ERR_OK;
        }
        copier->line_whole = !binary;
        if (header) {
            header = false;
            TRY(check_header(copier, target));
            continue;
        }
        TRY(binary ? ERR_OK : split(copier, target->count));
        bool wanted;
        TRY(build_row(copier, target, row, values, &wanted));
        if (wanted && target->remote != NULL) {
            TRY(target->remote->copy->row(copier->task, target->remote->arg, values, copier->diag));
        } else if (wanted) {
            TRY(exec_inserter_row(copier->task, inserter, values));
        }
        *rows += wanted;
        progress_add(&copier->progress, wanted ? PROGRESS_DONE : PROGRESS_EXCLUDED, 1);
        arena_reset(row);
        TRY(task_breathe(copier->task, copier->diag));
    }
}

/* Where in the data an error was, as PostgreSQL's CONTEXT says it. */
static void
add_context(struct copier *copier)
{
    enum {
        SHOWN_MAX = 100
    };
    struct diag *diag = copier->diag;
    unsigned long long line = copier->line_number;
    if (copier->options.binary && copier->column_name != NULL) {
        diag_context(
            diag, "COPY %s, line %llu, column %s", copier->table_name, line, copier->column_name);
        return;
    }
    if (!copier->line_whole ||
        utf8_invalid_at((const char *)copier->line.data, copier->line.size) != copier->line.size) {
        diag_context(diag, "COPY %s, line %llu", copier->table_name, line);
        return;
    }
    const char *text = (const char *)copier->line.data;
    size_t size = copier->line.size;
    if (copier->column_name != NULL) {
        text = copier->field->text;
        size = copier->field->size;
    }
    const char *dots = size > SHOWN_MAX ? "..." : "";
    size = size > SHOWN_MAX ? SHOWN_MAX : size;
    while (dots[0] != '\0' && size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80) {
        size--;
    }
    diag_context(diag, "COPY %s, line %llu%s%s: \"%.*s%s\"", copier->table_name, line,
        copier->column_name == NULL ? "" : ", column ",
        copier->column_name == NULL ? "" : copier->column_name, (int)size, text, dots);
}

static enum err
begin_remote(struct copier *copier, const struct target *target)
{
    uint32_t columns = 0;
    for (uint16_t i = 0; i < target->relation->column_count; i++) {
        columns += !target->relation->columns[i].dropped;
    }
    if (target->where != NULL && target->count < columns) {
        return diag_set(copier->diag, ERR_FEATURE_NOT_SUPPORTED,
            "COPY with WHERE needs all columns where rows go to other nodes");
    }
    return target->remote->copy->begin(copier->task, target->remote->arg, target->relation,
        target->columns, target->count, copier->diag);
}

/* After an error the client still sends: swallow it up to its end, so that the protocol stays in
 * step. The connection is gone if that fails. */
static enum err
copy_from(struct copier *copier, const struct ast_copy *copy, uint64_t *rows)
{
    struct target target = {0};
    enum err err = find_target(copier, copy, &target);
    struct exec_inserter *inserter = NULL;
    struct arena row;
    arena_create(&row, "row");
    if (err == ERR_OK) {
        copier->table_name = target.relation->name;
        copier->fields = arena_array(
            &copier->session->statement, (size_t)target.count + 1, sizeof *copier->fields);
        err = bind_expressions(copier, &target, copy->where);
    }
    target.remote = copier->session->remote;
    if (err == ERR_OK && target.remote != NULL) {
        err = begin_remote(copier, &target);
    } else if (err == ERR_OK) {
        struct exec_context context;
        session__exec_context(
            copier->session, target.catalog, &copier->session->statement, copier->diag, &context);
        err = exec_inserter_open(copier->task, &context, target.relation, &inserter);
    }
    if (err == ERR_OK) {
        const struct sql_sink *sink = copier->session->sink;
        err = sink->copy_in_begin(
            copier->task, sink->arg, target.count, copier->options.binary, copier->diag);
        if (err == ERR_OK) {
            err = insert_records(copier, &target, inserter, &row, rows);
            statistics_note_changes(copier->session->txn, target.relation, *rows);
            if (err != ERR_OK && err != ERR_CONNECTION_FAILURE) {
                add_context(copier);
            }
            if (err == ERR_OK) {
                err = target.remote != NULL
                          ? target.remote->copy->end(copier->task, target.remote->arg, copier->diag)
                          : exec_inserter_finish(copier->task, inserter);
            }
        }
    }
    if (inserter != NULL) {
        exec_inserter_close(copier->task, inserter);
    }
    if (err != ERR_OK && target.remote != NULL) {
        target.remote->copy->abort(copier->task, target.remote->arg);
    }
    if (target.catalog != NULL) {
        catalog_release(target.catalog);
    }
    arena_destroy(&row);
    return err;
}

/* ---- COPY TO
 * ---------------------------------------------------------------------------------------- */

static void
put_text_field(struct copier *copier, const uint8_t *bytes, size_t size)
{
    static const char names[] = "bfnrtv\\";
    static const char from[] = "\b\f\n\r\t\v\\";
    struct buffer *to = &copier->line;
    size_t plain = 0; /* behind the last that needed a backslash */
    for (size_t i = 0; i < size; i++) {
        char c = (char)bytes[i];
        if ((bytes[i] >= ' ' && c != '\\' && c != copier->options.delimiter) || c == '\0') {
            continue;
        }
        const char *special = strchr(from, c);
        if (special != NULL || c == copier->options.delimiter) {
            buffer_add(to, bytes + plain, i - plain);
            buffer_add_u8(to, '\\');
            buffer_add_u8(to, special != NULL ? (uint8_t)names[special - from] : bytes[i]);
            plain = i + 1;
        }
    }
    buffer_add(to, bytes + plain, size - plain);
}

static void
put_csv_field(struct copier *copier, const uint8_t *bytes, size_t size, bool force, bool alone)
{
    const struct copy_options *options = &copier->options;
    size_t null_size = strlen(options->null_text);
    bool quote = force || (size == null_size && memcmp(bytes, options->null_text, size) == 0) ||
                 (alone && size == 2 && memcmp(bytes, "\\.", 2) == 0);
    for (size_t i = 0; !quote && i < size; i++) {
        char c = (char)bytes[i];
        quote = c == options->delimiter || c == options->quote || c == '\n' || c == '\r';
    }
    struct buffer *to = &copier->line;
    if (!quote) {
        buffer_add(to, bytes, size);
        return;
    }
    buffer_add_u8(to, (uint8_t)options->quote);
    for (size_t i = 0; i < size; i++) {
        if ((char)bytes[i] == options->quote || (char)bytes[i] == options->escape) {
            buffer_add_u8(to, (uint8_t)options->escape);
        }
        buffer_add_u8(to, bytes[i]);
    }
    buffer_add_u8(to, (uint8_t)options->quote);
}

static bool
is_forced(const struct copy_options *options, const char *name)
{
    if (options->force_quote_all) {
        return true;
    }
    AST_FOREACH(at, options->force_quote)
    {
        if ((*at)->kind == AST_NAME && strcmp(ast_as_name(*at)->text, name) == 0) {
            return true;
        }
    }
    return false;
}

static enum err
send_line(struct copier *copier)
{
    if (!copier->options.binary) {
        buffer_add_u8(&copier->line, '\n');
    }
    const struct sql_sink *sink = copier->session->sink;
    progress_add(&copier->progress, PROGRESS_BYTES, copier->line.size);
    enum err err = sink->copy_out_row(
        copier->task, sink->arg, slice_of(copier->line.data, copier->line.size), copier->diag);
    copier->line.size = 0;
    return err;
}

static enum err
send_row(struct copier *copier, const struct plan *plan, const struct datum *values)
{
    if (copier->options.binary) {
        copy__binary_row_out(copier, plan, values);
        return send_line(copier);
    }
    for (uint32_t i = 0; i < plan->column_count; i++) {
        const struct plan_column *column = &plan->columns[i];
        if (i > 0) {
            buffer_add_u8(&copier->line, (uint8_t)copier->options.delimiter);
        }
        if (values[i].null) {
            buffer_add_text(&copier->line, copier->options.null_text);
            continue;
        }
        copier->values.size = 0;
        (void)buffer_reserve(&copier->values, 1);
        type_output(&copier->session->env, column->type, values[i], &copier->values);
        if (copier->options.csv) {
            put_csv_field(copier, copier->values.data, copier->values.size,
                is_forced(&copier->options, column->name), plan->column_count == 1);
        } else {
            put_text_field(copier, copier->values.data, copier->values.size);
        }
    }
    return send_line(copier);
}

static enum err
send_header(struct copier *copier, const struct plan *plan)
{
    if (!copier->options.header) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < plan->column_count; i++) {
        const char *name = plan->columns[i].name;
        if (i > 0) {
            buffer_add_u8(&copier->line, (uint8_t)copier->options.delimiter);
        }
        if (copier->options.csv) {
            put_csv_field(copier, (const uint8_t *)name, strlen(name), false, false);
        } else {
            put_text_field(copier, (const uint8_t *)name, strlen(name));
        }
    }
    return send_line(copier);
}

/* COPY t (a, b) TO is COPY (SELECT a, b FROM t) TO; without a list those of `names`, if there are
 * any, and else all. */
static struct ast_node *
query_of(
    struct copier *copier, const struct ast_copy *copy, const char *const *names, uint32_t named)
{
    if (copy->query != NULL) {
        return copy->query;
    }
    struct arena *arena = &copier->session->statement;
    uint32_t count = copy->columns != NULL ? copy->columns->count : named > 0 ? named : 1;
    struct ast_list *targets = arena_alloc(arena, sizeof *targets);
    targets->items = arena_array(arena, count, sizeof *targets->items);
    targets->count = targets->capacity = count;
    for (uint32_t i = 0; i < count; i++) {
        struct ast_column *column = arena_alloc(arena, sizeof *column);
        column->node = (struct ast_node){.kind = AST_COLUMN, .depth = 1, .location = -1};
        column->star = copy->columns == NULL && named == 0;
        if (!column->star) {
            column->parts[0] =
                copy->columns == NULL ? names[i] : ast_as_name(copy->columns->items[i])->text;
            column->count = 1;
        }
        struct ast_target *target = arena_alloc(arena, sizeof *target);
        target->node = (struct ast_node){.kind = AST_TARGET, .depth = 2, .location = -1};
        target->value = &column->node;
        targets->items[i] = &target->node;
    }
    struct ast_list *from = arena_alloc(arena, sizeof *from);
    from->items = arena_array(arena, 1, sizeof *from->items);
    from->items[0] = &copy->table->node;
    from->count = from->capacity = 1;
    struct ast_select *select = arena_alloc(arena, sizeof *select);
    select->node = (struct ast_node){.kind = AST_SELECT, .depth = 3, .location = -1};
    select->targets = targets;
    select->from = from;
    return &select->node;
}

static enum err
send_rows(struct copier *copier, const struct planned *planned, struct exec *exec, uint64_t *rows)
{
    const struct sql_sink *sink = copier->session->sink;
    TRY(sink->copy_out_begin(copier->task, sink->arg, planned->plan->column_count,
        copier->options.binary, copier->diag));
    TRY(send_header(copier, planned->plan));
    if (copier->options.binary) {
        copy__binary_begin_out(copier); /* it goes with the first row: psycopg expects that */
    }
    for (;;) {
        const struct datum *row = NULL;
        TRY(exec_next(copier->task, exec, &row));
        if (row == NULL && copier->options.binary) {
            copy__binary_end_out(copier);
            TRY(send_line(copier));
        }
        if (row == NULL) {
            return sink->copy_out_end(copier->task, sink->arg, copier->diag);
        }
        TRY(send_row(copier, planned->plan, row));
        progress_add(&copier->progress, PROGRESS_DONE, 1);
        (*rows)++;
    }
}

/* What COPY table TO copies of a table with generated columns: the others. */
static uint32_t
copied_columns(struct copier *copier, const struct target *target, const char ***names)
{
    const struct relation *relation = target->relation;
    struct arena *arena = &copier->session->statement;
    bool any = false;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        any |= relation->columns[i].generated && !relation->columns[i].dropped;
    }
    if (!any) {
        return 0;
    }
    *names = arena_array(arena, (size_t)target->count + 1, sizeof **names);
    for (uint32_t i = 0; i < target->count; i++) {
        (*names)[i] = arena_strdup(arena, target->names[i]);
    }
    return target->count;
}

/* The query found no such column: in the words of COPY. */
static enum err
column_missing(struct copier *copier, const struct ast_copy *copy)
{
    AST_FOREACH(at, copy->columns)
    {
        const char *name = ast_as_name(*at)->text;
        char words[DIAG_TEXT_MAX];
        (void)snprintf(words, sizeof words, "column \"%s\" does not exist", name);
        if (strcmp(words, copier->diag->message) == 0) {
            return diag_set(copier->diag, ERR_UNDEFINED_COLUMN,
                "column \"%s\" of relation \"%s\" does not exist", name, copy->table->name);
        }
    }
    return ERR_UNDEFINED_COLUMN;
}

static enum err
copy_to(struct copier *copier, const struct ast_copy *copy, const char *text, uint64_t *rows)
{
    const char **names = NULL;
    uint32_t named = 0;
    if (copy->table != NULL) { /* in the words for a table, not for the query it becomes */
        struct target target = {0};
        enum err found = find_target(copier, copy, &target);
        named = found == ERR_OK ? copied_columns(copier, &target, &names) : 0;
        if (target.catalog != NULL) {
            catalog_release(target.catalog);
        }
        TRY(found);
    }
    struct planned *planned = NULL;
    enum err err =
        planned__renew(copier->task, copier->session, query_of(copier, copy, names, named),
            copy->query == NULL ? NULL : text, NULL, 0, 0, &planned, copier->diag);
    if (err == ERR_UNDEFINED_COLUMN && copy->query == NULL) {
        return column_missing(copier, copy);
    }
    TRY(err);
    if (!planned->plan->returns_rows) {
        err = diag_set(
            copier->diag, ERR_FEATURE_NOT_SUPPORTED, "COPY query must have a RETURNING clause");
    }
    struct exec *exec = NULL;
    if (err == ERR_OK) {
        err = planned__open(copier->task, copier->session, planned, &copier->session->statement,
            NULL, false, &exec, copier->diag);
    }
    if (err == ERR_OK) {
        err = send_rows(copier, planned, exec, rows);
        exec_close(copier->task, exec);
    }
    planned__release(planned);
    return err;
}

enum err
copy__run(struct task *task, struct sql_session *session, const struct ast_copy *copy,
    const char *text, size_t size, char *tag, size_t tag_size, struct diag *diag)
{
    if (copy->file != NULL || copy->program) {
        (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "COPY to or from a file or program of the server is not supported");
        diag_hint(diag, "Use STDIN or STDOUT, or \\copy in the shell.");
        return ERR_FEATURE_NOT_SUPPORTED;
    }

    if (copy->from && txn_read_only(session->txn)) {
        return diag_set(
            diag, ERR_READ_ONLY_TRANSACTION, "cannot execute COPY FROM in a read-only transaction");
    }
    struct copier copier = {.task = task,
        .session = session,
        .diag = diag,
        .table_name = "",
        .progress = {.command = copy->from ? "COPY FROM" : "COPY TO"}};
    uint64_t rows = 0;
    activity__progress(session, &copier.progress);
    enum err err = read_options(&copier, copy, text, size, diag);
    if (err == ERR_OK) {
        err = copy->from ? copy_from(&copier, copy, &rows) : copy_to(&copier, copy, text, &rows);
    }
    activity__progress(session, NULL);
    buffer_destroy(&copier.line);
    buffer_destroy(&copier.values);
    (void)snprintf(tag, tag_size, "COPY %llu", (unsigned long long)rows);
    return err;
}
