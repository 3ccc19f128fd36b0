#include "sql/catalog/index_key.h"

#include "base/assert.h"

/* ---- derived values ---------------------------------------------------------------------------
 */

static const struct index_derivation *derivation; /* set once, before threads start */

void
index_set_derivation(const struct index_derivation *given)
{
    derivation = given;
}

enum err
index_deriver_open(struct task *task, struct eval_env *env, const struct catalog *catalog,
    const struct relation *relation, struct index_deriver **deriver, struct diag *diag)
{
    *deriver = NULL;
    if (relation->derived_count == 0) {
        return ERR_OK;
    }
    ASSERT(derivation != NULL);
    return derivation->begin(task, env, catalog, relation, deriver, diag);
}

enum err
index_derive(struct task *task, struct index_deriver *deriver, struct arena *memory,
    struct datum *row, struct diag *diag)
{
    return deriver == NULL ? ERR_OK : derivation->run(task, deriver, memory, row, diag);
}

void
index_deriver_close(struct index_deriver *deriver)
{
    if (deriver != NULL) {
        derivation->end(deriver);
    }
}

bool
index_has_derived(const struct index *index)
{
    bool has = index->partial > 0;
    for (uint16_t i = 0; i < index->column_count; i++) {
        has |= index->columns[i] >= INDEX_DERIVED;
    }
    return has;
}

/* ---- entries ---------------------------------------------------------------------------------
 */

void
index_key_columns(const struct relation *relation, const struct index *index,
    const struct datum *row, struct buffer *key, bool *has_null)
{
    bool any_null = false;
    for (uint16_t i = 0; i < index->column_count; i++) {
        struct datum value = row[index_slot(relation, index->columns[i])];
        any_null = any_null || value.null;
        key_encode(key, index_column_type(relation, index, i), value, index->flags[i]);
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

static void
add_included(const struct relation *relation, const struct index *index, const struct datum *row,
    struct buffer *to)
{
    struct datum included[INDEX_COLUMNS_MAX];
    for (uint16_t i = 0; i < index->included_count; i++) {
        included[i] = row[index_slot(relation, index->columns[index->column_count + i])];
    }
    row_encode(index->included_layout, included, to);
}

void
index_entry(const struct relation *relation, const struct index *index, const struct datum *row,
    struct slice row_key, struct buffer *key, struct slice *entry, struct slice *value)
{
    ASSERT(!index->primary && index_holds(relation, index, row));
    bool has_null;
    size_t start = key->size;
    index_key_columns(relation, index, row, key, &has_null);
    if (!index->unique || (has_null && !index->nulls_not_distinct)) {
        buffer_add(key, row_key.data, row_key.size);
    }
    size_t end = key->size;
    if (index->included_count > 0) {
        if (index->unique) {
            ASSERT(row_key.size <= UINT16_MAX);
            buffer_add_be16(key, (uint16_t)row_key.size);
            buffer_add(key, row_key.data, row_key.size);
        }
        add_included(relation, index, row, key);
        *value = slice_of(key->data + end, key->size - end);
    } else {
        *value = index->unique ? row_key : slice_of(NULL, 0);
    }
    *entry = slice_of(key->data + start, end - start);
}

enum err
index_entry_row_key(const struct relation *relation, const struct index *index, struct slice key,
    struct slice value, struct slice *row_key, struct diag *diag)
{
    *row_key = slice_of(NULL, 0);
    if (index->unique && index->included_count == 0) {
        *row_key = value;
    } else if (index->unique) {
        if (value.size >= 2 && load_be16(value.data) <= value.size - 2) {
            *row_key = slice_of(value.data + 2, load_be16(value.data));
        }
    } else {
        struct slice rest = key;
        for (uint16_t i = 0; i < index->column_count; i++) {
            TRY(key_skip(&rest, index_column_type(relation, index, i), index->flags[i], diag));
        }
        *row_key = rest;
    }
    if (row_key->size == 0) {
        return diag_set(
            diag, ERR_INDEX_CORRUPT, "index \"%s\" has an entry without a row", index->name);
    }
    return ERR_OK;
}

struct slice
index_entry_included(const struct index *index, struct slice value)
{
    if (!index->unique) {
        return value;
    }
    size_t skip = value.size < 2 ? value.size : 2U + load_be16(value.data);
    skip = skip > value.size ? value.size : skip;
    return slice_of(value.data + skip, value.size - skip);
}

static bool
same_columns(const struct relation *relation, const struct index *index, uint16_t from, uint16_t to,
    const struct datum *a, const struct datum *b)
{
    for (uint16_t i = from; i < to; i++) {
        uint32_t slot = index_slot(relation, index->columns[i]);
        if (a[slot].null != b[slot].null) {
            return false;
        }
        if (!a[slot].null &&
            datum_compare(index_column_type(relation, index, i), a[slot], b[slot]) != 0) {
            return false;
        }
    }
    return true;
}

bool
index_same_key(const struct relation *relation, const struct index *index, const struct datum *a,
    const struct datum *b)
{
    return same_columns(relation, index, 0, index->column_count, a, b);
}

/* Of included columns not even the values must differ: 1.0 and 1.00 are equal, and two entries. */
bool
index_same_entry(const struct relation *relation, const struct index *index, const struct datum *a,
    const struct datum *b)
{
    bool holds = index_holds(relation, index, a);
    if (holds != index_holds(relation, index, b)) {
        return false;
    }
    if (!holds) {
        return true;
    }
    if (!index_same_key(relation, index, a, b)) {
        return false;
    }
    if (index->included_count == 0) {
        return true;
    }
    struct buffer one = {0};
    struct buffer other = {0};
    add_included(relation, index, a, &one);
    add_included(relation, index, b, &other);
    bool same = slice_equal(slice_of(one.data, one.size), slice_of(other.data, other.size));
    buffer_destroy(&one);
    buffer_destroy(&other);
    return same;
}

/* ---- words -----------------------------------------------------------------------------------
 */

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
        uint16_t column = index->columns[i];
        buffer_printf(&text, "%s%s", i == 0 ? "(" : ", ",
            column < INDEX_DERIVED
                ? relation->columns[column].name
                : catalog_index_column_text(NULL, arena, relation, index, i, true));
    }
    buffer_add_text(&text, ")=");
    for (uint16_t i = 0; i < index->column_count; i++) {
        buffer_add_text(&text, i == 0 ? "(" : ", ");
        add_value(env, index_column_type(relation, index, i),
            row[index_slot(relation, index->columns[i])], &text);
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

enum err
relation_option_violation(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct datum *row, const char *view, struct diag *diag)
{
    enum err err =
        diag_set(diag, ERR_CHECK_OPTION, "new row violates check option for view \"%s\"", view);
    failing_row(arena, env, relation, row, diag);
    return err;
}
