/*
 * sql/catalog/type.c - types of users: looking them up, labels as text, the functions on enums.
 *
 * An enum's value is its label's position: a number that is given with the label and never changes,
 * so that rows and keys of it stay as they are when labels are added or renamed.
 */
#include "base/assert.h"
#include "parser/parser.h"
#include "sql/catalog/catalog_internal.h"
#include "sql/catalog/virtual_internal.h"

/* ---- looking up ------------------------------------------------------------------------------ */

const struct user_type *
catalog_type_at(const struct catalog *catalog, size_t position)
{
    return position < catalog->type_count ? &catalog->types[position] : NULL;
}

const struct user_type *
catalog_type(const struct catalog *catalog, oid_t oid)
{
    oid &= ~(oid_t)1;
    size_t low = 0;
    size_t high = catalog == NULL ? 0 : catalog->type_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (catalog->types[middle].oid == oid) {
            return &catalog->types[middle];
        }
        if (catalog->types[middle].oid < oid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static const struct user_type *
type_in(const struct catalog *catalog, const char *schema, const char *name)
{
    for (size_t i = 0; i < catalog->type_count; i++) {
        if (strcmp(catalog->types[i].name, name) == 0 &&
            strcmp(catalog->types[i].schema_name, schema) == 0) {
            return &catalog->types[i];
        }
    }
    return NULL;
}

const struct user_type *
catalog_type_on(const struct catalog *catalog, const char *const *search_path, const char *schema,
    const char *name)
{
    static const char *const only_public[] = {"public", NULL};
    if (catalog == NULL || catalog->type_count == 0) {
        return NULL;
    }
    if (schema != NULL) {
        return type_in(catalog, schema, name);
    }
    const struct user_type *type = NULL;
    for (const char *const *at = search_path == NULL ? only_public : search_path;
         type == NULL && *at != NULL; at++) {
        type = type_in(catalog, *at, name);
    }
    return type;
}

const struct type_label *
user_type_label(const struct user_type *type, struct slice name)
{
    for (uint32_t i = 0; i < type->label_count; i++) {
        const char *label = type->labels[i].name;
        if (strlen(label) == name.size && memcmp(label, name.data, name.size) == 0) {
            return &type->labels[i];
        }
    }
    return NULL;
}

const struct type_label *
user_type_value(const struct user_type *type, int64_t value)
{
    uint32_t low = 0;
    uint32_t high = type->label_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (type->labels[middle].position == value) {
            return &type->labels[middle];
        }
        if (type->labels[middle].position < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

oid_t
catalog_base_type(const struct catalog *catalog, oid_t oid, int32_t *typmod)
{
    for (oid_t at = oid; type_has_domain(at) && (at & 1) == 0;) {
        const struct user_type *type = catalog_type(catalog, at);
        if (type == NULL) {
            return 0;
        }
        *typmod = type->typmod >= 0 ? type->typmod : *typmod;
        at = type->base;
    }
    return type_base(oid);
}

bool
catalog_domain_constrains(const struct catalog *catalog, oid_t domain)
{
    while (type_has_domain(domain)) {
        const struct user_type *type = catalog_type(catalog, domain);
        if (type == NULL || type->not_null || type->check_count > 0) {
            return true;
        }
        domain = type->base;
    }
    return false;
}

const char *
catalog_column_default(const struct catalog *catalog, const struct column *column)
{
    if (column->default_text != NULL || (column->domain & 1) != 0) {
        return column->default_text;
    }
    const struct user_type *domain = catalog_type(catalog, column->domain);
    if (domain != NULL && domain->default_text != NULL) {
        return domain->default_text;
    }
    return column->domain != 0 && catalog_domain_constrains(catalog, column->domain) ? "NULL"
                                                                                     : NULL;
}

/* ---- what sql/value asks --------------------------------------------------------------------- */

oid_t
catalog__type_oid(const struct eval_env *env, const char *schema, const char *name)
{
    const struct user_type *type = catalog_type_on(env->catalog, env->search_path, schema, name);
    if (type == NULL && name[0] == '_') { /* what an array type is called */
        type = catalog_type_on(env->catalog, env->search_path, schema, name + 1);
        return type == NULL ? 0 : type->array_oid;
    }
    return type == NULL ? 0 : type->oid;
}

void
catalog__type_name(const struct eval_env *env, oid_t oid, struct buffer *to)
{
    const struct user_type *type = env == NULL ? NULL : catalog_type(env->catalog, oid);
    if (type == NULL) {
        return;
    }
    struct arena arena;
    arena_create(&arena, "type name");
    if (type_by_name(type->name) != NULL ||
        catalog_type_on(env->catalog, env->search_path, NULL, type->name) != type) {
        buffer_printf(to, "%s.", parser_quote_ident(&arena, type->schema_name));
    }
    buffer_add_text(to, parser_quote_ident(&arena, type->name));
    arena_destroy(&arena);
}

enum err
catalog__enum_input(struct eval *eval, oid_t oid, struct slice text, struct datum *value)
{
    const struct user_type *type = eval->env == NULL ? NULL : catalog_type(eval->env->catalog, oid);
    if (type == NULL) {
        return diag_set(eval->diag, ERR_UNDEFINED_OBJECT, "type with OID %u does not exist", oid);
    }
    const struct type_label *label = user_type_label(type, text);
    if (label == NULL) {
        return diag_set(eval->diag, ERR_INVALID_TEXT, "invalid input value for enum %s: \"%.*s\"",
            type_format(eval->env, eval->arena, oid, -1), (int)(text.size > 200 ? 200 : text.size),
            (const char *)text.data);
    }
    *value = datum_int(label->position);
    return ERR_OK;
}

/* A label that the statement's picture does not have yet can be met all the same: READ COMMITTED
 * goes on to the newest version of a row that it has waited for. */
static bool
newest_label(const struct catalog *catalog, oid_t oid, int64_t value, struct buffer *to)
{
    struct catalog_store *store = catalog->store;
    latch_acquire(&store->latch);
    struct catalog *current = store->current;
    if (current != NULL) {
        atomic_fetch_add_explicit(&current->references, 1, memory_order_relaxed);
    }
    latch_release(&store->latch);
    const struct user_type *type = current == NULL ? NULL : catalog_type(current, oid);
    const struct type_label *label = type == NULL ? NULL : user_type_value(type, value);
    if (label != NULL) {
        buffer_add_text(to, label->name);
    }
    catalog_release(current);
    return label != NULL;
}

void
catalog__enum_output(const struct eval_env *env, oid_t oid, struct datum value, struct buffer *to)
{
    const struct user_type *type = env == NULL ? NULL : catalog_type(env->catalog, oid);
    const struct type_label *label = type == NULL ? NULL : user_type_value(type, value.i);
    if (label != NULL) {
        buffer_add_text(to, label->name);
    } else if (env == NULL || env->catalog == NULL ||
               !newest_label(env->catalog, oid, value.i, to)) {
        buffer_add_decimal(to, value.i);
    }
}

/* ---- functions: their last argument is the type's OID ---------------------------------------- */

#define SET(column, value) (row->values[column] = (value))
#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

static enum err
type_of_call(struct eval *eval, struct datum oid, const struct user_type **type)
{
    *type = catalog_type(eval->env->catalog, (oid_t)oid.i);
    if (*type == NULL) {
        return diag_set(
            eval->diag, ERR_UNDEFINED_OBJECT, "type with OID %u does not exist", (oid_t)oid.i);
    }
    return ERR_OK;
}

static enum err
one_end(struct eval *eval, const struct datum *args, bool last, struct datum *result)
{
    const struct user_type *type;
    TRY(type_of_call(eval, args[1], &type));
    if (type->label_count == 0) {
        return diag_set(eval->diag, ERR_OBJECT_STATE, "enum %s contains no values",
            type_format(eval->env, eval->arena, type->oid, -1));
    }
    *result = datum_int(type->labels[last ? type->label_count - 1 : 0].position);
    return ERR_OK;
}

FN(enum_first)
{
    (void)count;
    return one_end(eval, args, false, result);
}

FN(enum_last)
{
    (void)count;
    return one_end(eval, args, true, result);
}

static enum err
range(
    struct eval *eval, struct datum low, struct datum high, struct datum oid, struct datum *result)
{
    const struct user_type *type;
    TRY(type_of_call(eval, oid, &type));
    struct datum *values = arena_array(eval->arena, (size_t)type->label_count + 1, sizeof *values);
    uint32_t used = 0;
    for (uint32_t i = 0; i < type->label_count; i++) {
        int64_t position = type->labels[i].position;
        if ((low.null || position >= low.i) && (high.null || position <= high.i)) {
            values[used++] = datum_int(position);
        }
    }
    *result = array_make(eval->arena, type->oid, false, values, used);
    return ERR_OK;
}

FN(enum_range_all)
{
    (void)count;
    return range(eval, datum_null(), datum_null(), args[1], result);
}

FN(enum_range_bounds)
{
    (void)count;
    return range(eval, args[0], args[1], args[2], result);
}

#define E    TYPE_ANYENUM
#define FLAG (FUNCTION_STABLE | FUNCTION_ELEMENT)

static const struct function functions[] = {
    {"enum_first", 3528, E, 1, 1, FLAG, {E}, enum_first, NULL, NULL},
    {"enum_last", 3529, E, 1, 1, FLAG, {E}, enum_last, NULL, NULL},
    {"enum_range", 3530, TYPE_ANYARRAY, 2, 2, FLAG, {E, E}, enum_range_bounds, NULL, NULL},
    {"enum_range", 3531, TYPE_ANYARRAY, 1, 1, FLAG, {E}, enum_range_all, NULL, NULL},
};

void
catalog__register_types(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
}

/* ---- pg_enum --------------------------------------------------------------------------------- */

enum err
virtual__pg_enum(struct virtual_row *row)
{
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(row->catalog, i)) != NULL; i++) {
        for (uint32_t at = 0; at < type->label_count; at++) {
            const struct type_label *label = &type->labels[at];
            virtual__clear(row);
            SET(pg_enum_oid, datum_int(label->oid));
            SET(pg_enum_enumtypid, datum_int(type->oid));
            SET(pg_enum_enumsortorder,
                datum_float((double)(float)((double)label->position /
                                            (double)((int64_t)1 << TYPE_LABEL_GAP_BITS))));
            SET(pg_enum_enumlabel, virtual__text(label->name));
            TRY(virtual__emit(row));
        }
    }
    return ERR_OK;
}
