#include "sql/catalog/index_key.h"

#include "base/assert.h"

void
index_key_columns(const struct relation *relation, const struct index *index,
    const struct datum *row, struct buffer *key, bool *has_null)
{
    bool any_null = false;
    for (uint16_t i = 0; i < index->column_count; i++) {
        uint16_t column = index->columns[i];
        any_null = any_null || row[column].null;
        key_encode(key, relation->columns[column].type, row[column], index->flags[i]);
    }
    *has_null = any_null;
}

void
index_row_key(const struct relation *relation, const struct datum *row, struct buffer *key)
{
    ASSERT(relation->primary != NULL);
    bool has_null;
    index_key_columns(relation, relation->primary, row, key, &has_null);
    ASSERT(!has_null);
}

void
index_row_id_key(uint64_t row_id, struct buffer *key)
{
    buffer_add_be64(key, row_id);
}

void
index_entry(const struct relation *relation, const struct index *index, const struct datum *row,
    struct slice row_key, struct buffer *key, struct slice *value)
{
    ASSERT(!index->primary);
    bool has_null;
    index_key_columns(relation, index, row, key, &has_null);
    if (!index->unique || has_null) {
        buffer_add(key, row_key.data, row_key.size);
    }
    *value = index->unique ? row_key : slice_of(NULL, 0);
}

enum err
index_entry_row_key(const struct relation *relation, const struct index *index, struct slice key,
    struct slice value, struct slice *row_key, struct diag *diag)
{
    if (index->unique) {
        *row_key = value;
    } else {
        struct slice rest = key;
        for (uint16_t i = 0; i < index->column_count; i++) {
            oid_t type = relation->columns[index->columns[i]].type;
            TRY(key_skip(&rest, type, index->flags[i], diag));
        }
        *row_key = rest;
    }
    if (row_key->size == 0) {
        return diag_set(
            diag, ERR_INDEX_CORRUPT, "index \"%s\" has an entry without a row", index->name);
    }
    return ERR_OK;
}

bool
index_same_key(const struct relation *relation, const struct index *index, const struct datum *a,
    const struct datum *b)
{
    for (uint16_t i = 0; i < index->column_count; i++) {
        uint16_t column = index->columns[i];
        if (a[column].null != b[column].null) {
            return false;
        }
        if (!a[column].null &&
            datum_compare(relation->columns[column].type, a[column], b[column]) != 0) {
            return false;
        }
    }
    return true;
}

static void
add_value(const struct eval_env *env, oid_t type, struct datum value, struct buffer *text)
{
    if (value.null) {
        buffer_add_text(text, "null");
    } else {
        type_output(env, type, value, text);
    }
}

char *
index_key_text(struct arena *arena, const struct eval_env *env, const struct relation *relation,
    const struct index *index, const struct datum *row)
{
    struct buffer text = {0};
    for (uint16_t i = 0; i < index->column_count; i++) {
        buffer_printf(
            &text, "%s%s", i == 0 ? "(" : ", ", relation->columns[index->columns[i]].name);
    }
    buffer_add_text(&text, ")=");
    for (uint16_t i = 0; i < index->column_count; i++) {
        uint16_t column = index->columns[i];
        buffer_add_text(&text, i == 0 ? "(" : ", ");
        add_value(env, relation->columns[column].type, row[column], &text);
    }
    buffer_add_text(&text, ")");
    char *result = arena_strndup(arena, (const char *)text.data, text.size);
    buffer_destroy(&text);
    return result;
}

enum err
index_unique_violation(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct index *index, const struct datum *row,
    struct diag *diag)
{
    enum err err = diag_set(
        diag, ERR_UNIQUE, "duplicate key value violates unique constraint \"%s\"", index->name);
    diag_detail(diag, "Key %s already exists.", index_key_text(arena, env, relation, index, row));
    diag_names(diag, relation->schema_name, relation->name, NULL, index->name);
    return err;
}

/* "Failing row contains (1, null, x).": values longer than 64 bytes are cut, as PostgreSQL does. */
static void
failing_row(struct arena *arena, const struct eval_env *env, const struct relation *relation,
    const struct datum *row, struct diag *diag)
{
    enum {
        VALUE_BYTES_MAX = 64
    };
    struct buffer text = {0};
    bool first = true;
    for (uint16_t i = 0; i < relation->column_count && text.size < DIAG_TEXT_MAX; i++) {
        if (relation->columns[i].dropped) {
            continue;
        }
        buffer_add_text(&text, first ? "" : ", ");
        first = false;
        size_t before = text.size;
        add_value(env, relation->columns[i].type, row[i], &text);
        if (text.size - before > VALUE_BYTES_MAX) {
            size_t end = before + VALUE_BYTES_MAX;
            while ((text.data[end] & 0xC0) == 0x80) {
                end--; /* never inside a character */
            }
            text.size = end;
            buffer_add_text(&text, "...");
        }
    }
    diag_detail(diag, "Failing row contains (%s).",
        arena_strndup(arena, (const char *)text.data, text.size));
    buffer_destroy(&text);
}

enum err
relation_not_null_violation(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct datum *row, int column, struct diag *diag)
{
    const char *name = relation->columns[column].name;
    enum err err = diag_set(diag, ERR_NOT_NULL,
        "null value in column \"%s\" of relation \"%s\" violates not-null constraint", name,
        relation->name);
    failing_row(arena, env, relation, row, diag);
    diag_names(diag, relation->schema_name, relation->name, name, NULL);
    return err;
}

enum err
relation_check_violation(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct datum *row, const char *check, struct diag *diag)
{
    enum err err = diag_set(diag, ERR_CHECK,
        "new row for relation \"%s\" violates check constraint \"%s\"", relation->name, check);
    failing_row(arena, env, relation, row, diag);
    diag_names(diag, relation->schema_name, relation->name, NULL, check);
    return err;
}
