/* sql/catalog/foreign_key.c - values of a foreign key across its two tables. */
#include "sql/catalog/foreign_key.h"

#include "base/assert.h"

enum foreign_match
foreign_key_match(const struct foreign_key *key, const struct datum *row)
{
    uint16_t nulls = 0;
    for (uint16_t i = 0; i < key->column_count; i++) {
        nulls = (uint16_t)(nulls + row[key->columns[i]].null);
    }
    if (nulls == 0) {
        return FOREIGN_CHECK;
    }
    return key->full && nulls < key->column_count ? FOREIGN_MIXED : FOREIGN_FREE;
}

/* ---- types ------------------------------------------------------------------------------------
 */

static bool
is_integer(oid_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

/* Types whose values PostgreSQL compares with one another in an index. */
static int
family(oid_t type)
{
    switch (type) {
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        return 1;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        return 2;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_NAME:
        return 3;
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return 4;
    default:
        return 0;
    }
}

bool
foreign_key_types(oid_t referencing, oid_t referenced)
{
    const struct function *function;
    return referencing == referenced ||
           (family(referencing) != 0 && family(referencing) == family(referenced)) ||
           cast_find(referencing, referenced, CAST_IMPLICIT, &function) == CAST_RELABEL ||
           cast_find(referencing, referenced, CAST_IMPLICIT, &function) == CAST_FUNCTION;
}

static bool
integer_fits(oid_t type, int64_t value)
{
    return type == TYPE_INT8 || (type == TYPE_INT4 && value >= INT32_MIN && value <= INT32_MAX) ||
           (type == TYPE_INT2 && value >= INT16_MIN && value <= INT16_MAX);
}

static enum err
cast(struct eval *eval, oid_t from, oid_t to, struct datum value, struct datum *result,
    bool *possible)
{
    *possible = true;
    *result = value;
    if (from == to || value.null) {
        return ERR_OK;
    }
    if (is_integer(from) && is_integer(to)) {
        *possible = integer_fits(to, value.i);
        return ERR_OK;
    }
    const struct function *function = NULL;
    switch (cast_find(from, to, CAST_ASSIGNMENT, &function)) {
    case CAST_RELABEL:
        return ERR_OK;
    case CAST_FUNCTION: {
        struct datum arguments[FUNCTION_ARGS_MAX];
        for (int i = 0; i < FUNCTION_ARGS_MAX; i++) {
            arguments[i] = datum_null();
        }
        arguments[0] = value;
        return function->call(eval, arguments, function->arg_count, result);
    }
    case CAST_NONE:
    case CAST_TEXT_IO:
        break;
    }
    *possible = false;
    return ERR_OK;
}

/* Only a value that is equal in the other type will do: what comes back differs from what was given
 * if it was rounded. */
static enum err
cast_exactly(struct eval *eval, oid_t from, oid_t to, struct datum value, struct datum *result,
    bool *possible)
{
    struct datum back;
    enum err err = cast(eval, from, to, value, result, possible);
    if (err == ERR_OK && *possible && from != to && !value.null && !is_integer(from)) {
        err = cast(eval, to, from, *result, &back, possible);
        *possible = err == ERR_OK && *possible && datum_compare(from, value, back) == 0;
    }
    if (err == ERR_LIMIT) {
        return err;
    }
    *possible = err == ERR_OK && *possible; /* out of the other type's range */
    return ERR_OK;
}

enum err
foreign_key_to_referenced(struct eval *eval, const struct foreign_key *key, const struct datum *row,
    struct datum *referenced, bool *possible)
{
    *possible = true;
    for (uint16_t i = 0; i < key->column_count && *possible; i++) {
        uint16_t from = key->columns[i], to = key->referenced_columns[i];
        TRY(cast_exactly(eval, key->table->columns[from].type,
            key->referenced_table->columns[to].type, row[from], &referenced[to], possible));
    }
    return ERR_OK;
}

enum err
foreign_key_to_referencing(struct eval *eval, const struct foreign_key *key,
    const struct datum *referenced, struct datum *row, bool *possible)
{
    *possible = true;
    for (uint16_t i = 0; i < key->column_count && *possible; i++) {
        uint16_t to = key->columns[i], from = key->referenced_columns[i];
        TRY(cast_exactly(eval, key->referenced_table->columns[from].type,
            key->table->columns[to].type, referenced[from], &row[to], possible));
    }
    return ERR_OK;
}

enum err
foreign_key_assign(struct eval *eval, const struct foreign_key *key, const struct datum *referenced,
    struct datum *row)
{
    for (uint16_t i = 0; i < key->column_count; i++) {
        uint16_t from = key->referenced_columns[i];
        const struct column *to = &key->table->columns[key->columns[i]];
        oid_t from_type = key->referenced_table->columns[from].type;
        struct datum value;
        bool possible;
        TRY(cast(eval, from_type, to->type, referenced[from], &value, &possible));
        if (!possible) {
            return is_integer(to->type)
                       ? diag_set(eval->diag, ERR_NUMERIC_RANGE, "%s out of range",
                             to->type == TYPE_INT2 ? "smallint" : "integer")
                       : diag_set(eval->diag, ERR_DATATYPE_MISMATCH,
                             "column \"%s\" is of type %s but expression is of type %s", to->name,
                             type_by_oid(to->type)->sql_name, type_by_oid(from_type)->sql_name);
        }
        if (to->typmod >= 0 && !value.null) {
            TRY(type_apply_typmod(eval, to->type, to->typmod, false, value, &value));
        }
        row[key->columns[i]] = value;
    }
    return ERR_OK;
}

/* ---- comparing --------------------------------------------------------------------------------
 */

bool
foreign_key_same(
    const struct foreign_key *key, const struct datum *a, const struct datum *b, bool referenced)
{
    const struct relation *table = referenced ? key->referenced_table : key->table;
    const uint16_t *columns = referenced ? key->referenced_columns : key->columns;
    for (uint16_t i = 0; i < key->column_count; i++) {
        const struct datum *x = &a[columns[i]], *y = &b[columns[i]];
        if (x->null != y->null ||
            (!x->null && datum_compare(table->columns[columns[i]].type, *x, *y) != 0)) {
            return false;
        }
    }
    return true;
}

bool
foreign_key_has_null(const struct foreign_key *key, const struct datum *row, bool referenced)
{
    const uint16_t *columns = referenced ? key->referenced_columns : key->columns;
    for (uint16_t i = 0; i < key->column_count; i++) {
        if (row[columns[i]].null) {
            return true;
        }
    }
    return false;
}

/* ---- errors -----------------------------------------------------------------------------------
 */

/* "(a, b)=(1, x)" */
static char *
key_text(struct arena *arena, const struct eval_env *env, const struct relation *table,
    const uint16_t *columns, uint16_t count, const struct datum *row)
{
    struct buffer text = {0};
    for (uint16_t i = 0; i < count; i++) {
        buffer_printf(&text, "%s%s", i == 0 ? "(" : ", ", table->columns[columns[i]].name);
    }
    buffer_add_text(&text, ")=(");
    for (uint16_t i = 0; i < count; i++) {
        buffer_add_text(&text, i == 0 ? "" : ", ");
        if (row[columns[i]].null) {
            buffer_add_text(&text, "null");
        } else {
            type_output(env, table->columns[columns[i]].type, row[columns[i]], &text);
        }
    }
    buffer_add_text(&text, ")");
    char *result = arena_strndup(arena, (const char *)text.data, text.size);
    buffer_destroy(&text);
    return result;
}

static void
name_it(const struct foreign_key *key, struct diag *diag)
{
    diag_names(diag, key->table->schema_name, key->table->name, NULL, key->name);
}

static enum err
violated(const struct foreign_key *key, struct diag *diag)
{
    return diag_set(diag, ERR_FOREIGN_KEY,
        "insert or update on table \"%s\" violates foreign key constraint \"%s\"", key->table->name,
        key->name);
}

enum err
foreign_key_missing(struct arena *arena, const struct eval_env *env, const struct foreign_key *key,
    const struct datum *row, struct diag *diag)
{
    enum err err = violated(key, diag);
    diag_detail(diag, "Key %s is not present in table \"%s\".",
        key_text(arena, env, key->table, key->columns, key->column_count, row),
        key->referenced_table->name);
    name_it(key, diag);
    return err;
}

enum err
foreign_key_mixed(const struct foreign_key *key, struct diag *diag)
{
    enum err err = violated(key, diag);
    diag_detail(diag, "MATCH FULL does not allow mixing of null and nonnull key values.");
    name_it(key, diag);
    return err;
}

enum err
foreign_key_in_use(struct arena *arena, const struct eval_env *env, const struct foreign_key *key,
    const struct datum *row, struct diag *diag)
{
    enum err err = diag_set(diag, ERR_FOREIGN_KEY,
        "update or delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"",
        key->referenced_table->name, key->name, key->table->name);
    diag_detail(diag, "Key %s is still referenced from table \"%s\".",
        key_text(
            arena, env, key->referenced_table, key->referenced_columns, key->column_count, row),
        key->table->name);
    name_it(key, diag);
    return err;
}

const char *
foreign_key_action_words(char action)
{
    switch (action) {
    case FOREIGN_RESTRICT:
        return "RESTRICT";
    case FOREIGN_CASCADE:
        return "CASCADE";
    case FOREIGN_SET_NULL:
        return "SET NULL";
    case FOREIGN_SET_DEFAULT:
        return "SET DEFAULT";
    default:
        return "NO ACTION";
    }
}
