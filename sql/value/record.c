/*
 * sql/value/record.c - rows as values: ROW(..), and a table's name where a value is wanted.
 *
 *     OFFSET    SIZE  DESCRIPTION
 *          0       4  number of columns n
 *          4    12*n  per column: its type's OID, size of its name, size of its value (-1: null)
 *                ...  per column: its name, then its value as in a row (value__store)
 *
 * A record tells its own types and names, so that it can be printed, compared and made JSON
 * wherever it goes. It is never stored.
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/hash.h"
#include "sql/value/record.h"

enum {
    COLUMN_HEAD = 12,
};

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

void
record__open(struct datum record, struct record_reader *reader)
{
    *reader = (struct record_reader){.count = load_le32(record.p), .heads = record.p + 4};
    reader->bytes = reader->heads + (size_t)COLUMN_HEAD * reader->count;
}

bool
record__next(struct record_reader *reader, struct record_column *column)
{
    if (reader->at == reader->count) {
        return false;
    }
    const uint8_t *head = reader->heads + (size_t)COLUMN_HEAD * reader->at++;
    size_t name = load_le32(head + 4);
    int32_t size = (int32_t)load_le32(head + 8);
    column->type = load_le32(head);
    column->name = slice_of(reader->bytes, name);
    reader->bytes += name;
    column->value = datum_null();
    if (size >= 0) {
        column->value = value__load(column->type, slice_of(reader->bytes, (size_t)size));
        reader->bytes += size;
    }
    return true;
}

/* The arguments come by threes: type, name, value. */
static struct datum
make(struct arena *arena, const struct datum *args, int count)
{
    struct buffer to = {0};
    uint32_t columns = (uint32_t)count / 3;
    uint8_t *head = buffer_extend(&to, 4 + (size_t)COLUMN_HEAD * columns);
    store_le32(head, columns);
    for (uint32_t i = 0; i < columns; i++, args += 3) {
        oid_t type = (oid_t)args[0].i;
        size_t start = to.size + args[1].size;
        buffer_add(&to, args[1].p, args[1].size);
        if (!args[2].null) {
            value__store(type, args[2], &to);
        }
        head = to.data + 4 + (size_t)COLUMN_HEAD * i;
        store_le32(head, type);
        store_le32(head + 4, args[1].size);
        store_le32(head + 8, args[2].null ? UINT32_MAX : (uint32_t)(to.size - start));
    }
    struct datum record = datum_bytes(arena_copy(arena, to.data, to.size), to.size);
    buffer_destroy(&to);
    return record;
}

FN(record_build)
{
    *result = make(eval->arena, args, count);
    return ERR_OK;
}

/* A table's row: null where an outer join found none. */
FN(record_of_row)
{
    bool any = count == 0;
    for (int i = 2; i < count; i += 3) {
        any = any || !args[i].null;
    }
    *result = any ? make(eval->arena, args, count) : datum_null();
    return ERR_OK;
}

/* record_field(record, number from 0): the binder knows its type. */
FN(record_field)
{
    (void)eval;
    UNUSED_COUNT;
    struct record_reader reader;
    struct record_column column = {.value = {.null = true}};
    record__open(args[0], &reader);
    for (int64_t i = 0; i <= args[1].i && record__next(&reader, &column); i++) {
    }
    *result = column.value;
    return ERR_OK;
}

/* record_nulls(record, wanted): are all its columns null, or (not wanted) all not? */
FN(record_nulls)
{
    (void)eval;
    UNUSED_COUNT;
    struct record_reader reader;
    struct record_column column;
    bool all = !args[0].null || args[1].i != 0;
    if (!args[0].null) {
        record__open(args[0], &reader);
        while (record__next(&reader, &column)) {
            all = all && column.value.null == (args[1].i != 0);
        }
    }
    *result = datum_bool(all);
    return ERR_OK;
}

/* ---- text and binary ------------------------------------------------------------------------- */

static void
put_field(struct slice text, struct buffer *to)
{
    bool quotes = text.size == 0;
    for (size_t i = 0; i < text.size && !quotes; i++) {
        uint8_t c = text.data[i];
        quotes = c == '"' || c == '\\' || c == '(' || c == ')' || c == ',' || c == ' ' ||
                 (c >= '\t' && c <= '\r');
    }
    if (!quotes) {
        buffer_add(to, text.data, text.size);
        return;
    }
    buffer_add_u8(to, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            buffer_add_u8(to, text.data[i]);
        }
        buffer_add_u8(to, text.data[i]);
    }
    buffer_add_u8(to, '"');
}

void
record__output(const struct eval_env *env, struct datum record, struct buffer *to)
{
    struct record_reader reader;
    struct record_column column;
    struct buffer text = {0};
    record__open(record, &reader);
    buffer_add_u8(to, '(');
    for (bool first = true; record__next(&reader, &column); first = false) {
        if (!first) {
            buffer_add_u8(to, ',');
        }
        if (!column.value.null) {
            text.size = 0;
            type_output(env, column.type, column.value, &text);
            put_field(slice_of(text.data, text.size), to);
        }
    }
    buffer_add_u8(to, ')');
    buffer_destroy(&text);
}

void
record__send(const struct eval_env *env, struct datum record, struct buffer *to)
{
    struct record_reader reader;
    struct record_column column;
    record__open(record, &reader);
    buffer_add_be32(to, reader.count);
    while (record__next(&reader, &column)) {
        buffer_add_be32(to, column.type);
        size_t at = to->size;
        buffer_add_be32(to, UINT32_MAX);
        if (!column.value.null) {
            type_send(env, column.type, column.value, to);
            store_be32(to->data + at, (uint32_t)(to->size - at - 4));
        }
    }
}

/* ---- order ----------------------------------------------------------------------------------- */

/* Column by column; null above everything and equal to null; a longer row above its beginning. */
int
record__compare(struct datum a, struct datum b)
{
    struct record_reader x, y;
    struct record_column p, q;
    record__open(a, &x);
    record__open(b, &y);
    while (x.at < x.count && y.at < y.count) {
        (void)record__next(&x, &p);
        (void)record__next(&y, &q);
        int order = p.type != q.type               ? (p.type > q.type) - (p.type < q.type)
                    : p.value.null || q.value.null ? (p.value.null ? 1 : 0) - (q.value.null ? 1 : 0)
                                                   : datum_compare(p.type, p.value, q.value);
        if (order != 0) {
            return order;
        }
    }
    return (x.count > y.count) - (x.count < y.count);
}

uint64_t
record__hash(struct datum record, uint64_t seed)
{
    struct record_reader reader;
    struct record_column column;
    record__open(record, &reader);
    while (record__next(&reader, &column)) {
        seed = column.value.null ? hash_u64(seed) : datum_hash(column.type, column.value, seed);
    }
    return seed;
}

/* Comparable column by column? */
static enum err
check_alike(struct eval *eval, const struct datum *args)
{
    struct record_reader x, y;
    struct record_column p, q;
    record__open(args[0], &x);
    record__open(args[1], &y);
    for (int i = 1; x.at < x.count && y.at < y.count; i++) {
        (void)record__next(&x, &p);
        (void)record__next(&y, &q);
        if (p.type != q.type) {
            return diag_set(eval->diag, ERR_DATATYPE_MISMATCH,
                "cannot compare dissimilar column types %s and %s at record column %d",
                type_format(eval->env, eval->arena, p.type, -1),
                type_format(eval->env, eval->arena, q.type, -1), i);
        }
        if (!type_is_ordered(p.type)) {
            return diag_set(eval->diag, ERR_UNDEFINED_FUNCTION,
                "could not identify an equality operator for type %s",
                type_format(eval->env, eval->arena, p.type, -1));
        }
    }
    return x.count == y.count
               ? ERR_OK
               : diag_set(eval->diag, ERR_DATATYPE_MISMATCH,
                     "cannot compare record types with different numbers of columns");
}

#define COMPARE(name, op)                                             \
    FN(name)                                                          \
    {                                                                 \
        UNUSED_COUNT;                                                 \
        TRY(check_alike(eval, args));                                 \
        *result = datum_bool(record__compare(args[0], args[1]) op 0); \
        return ERR_OK;                                                \
    }
COMPARE(record_eq, ==)
COMPARE(record_ne, !=)
COMPARE(record_lt, <)
COMPARE(record_le, <=)
COMPARE(record_gt, >)
COMPARE(record_ge, >=)

/* ---- the tables ------------------------------------------------------------------------------ */

#define R TYPE_RECORD
#define I (FUNCTION_INTERNAL | FUNCTION_VARIADIC)

static const struct function functions[] = {
    {"record_build", 0, R, 1, 0, I, {TYPE_ANY}, record_build, NULL, NULL},
    {"record_field", 0, TYPE_ANY, 2, 2, FUNCTION_INTERNAL | FUNCTION_STRICT, {R, TYPE_INT4},
        record_field, NULL, NULL},
    {"record_nulls", 0, TYPE_BOOL, 2, 2, FUNCTION_INTERNAL, {R, TYPE_BOOL}, record_nulls, NULL,
        NULL},
    {"record_of_row", 0, R, 1, 0, I, {TYPE_ANY}, record_of_row, NULL, NULL},
};

static const struct operator_row operators[] = {
    {"=", "record_eq", R, R, TYPE_BOOL, record_eq, "=", "<>", 0},
    {"<>", "record_ne", R, R, TYPE_BOOL, record_ne, "<>", "=", 0},
    {"<", "record_lt", R, R, TYPE_BOOL, record_lt, ">", ">=", 0},
    {"<=", "record_le", R, R, TYPE_BOOL, record_le, ">=", ">", 0},
    {">", "record_gt", R, R, TYPE_BOOL, record_gt, "<", "<=", 0},
    {">=", "record_ge", R, R, TYPE_BOOL, record_ge, "<=", "<", 0},
};

const struct function_rows record_rows = {ROWS(functions), ROWS(operators), NULL, 0};
