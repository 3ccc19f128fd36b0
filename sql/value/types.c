/* sql/value/types.c - which types there are, what they are called, and their modifiers. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/latch.h"
#include "base/mem.h"
#include "parser/parser.h"
#include "sql/value/value_internal.h"

static const struct type types[] = {
    {TYPE_BOOL, "bool", "boolean", 1, false, true, 'B', 1000, true, 0},
    {TYPE_BYTEA, "bytea", "bytea", -1, true, false, 'U', 1001, true, 0},
    {TYPE_CHAR, "char", "\"char\"", 1, false, false, 'Z', 1002, true, 0},
    {TYPE_NAME, "name", "name", 64, true, false, 'S', 1003, true, 0},
    {TYPE_INT8, "int8", "bigint", 8, false, false, 'N', 1016, true, 0},
    {TYPE_INT2, "int2", "smallint", 2, false, false, 'N', 1005, true, 0},
    {TYPE_INT2VECTOR, "int2vector", "int2vector", -1, true, false, 'A', 1006, false, TYPE_INT2},
    {TYPE_INT4, "int4", "integer", 4, false, false, 'N', 1007, true, 0},
    {TYPE_REGPROC, "regproc", "regproc", 4, false, false, 'N', 1008, true, 0},
    {TYPE_TEXT, "text", "text", -1, true, true, 'S', 1009, true, 0},
    {TYPE_OID, "oid", "oid", 4, false, true, 'N', 1028, true, 0},
    {TYPE_OIDVECTOR, "oidvector", "oidvector", -1, true, false, 'A', 1013, false, TYPE_OID},
    {TYPE_JSON, "json", "json", -1, true, false, 'U', 199, true, 0},
    {199, "_json", "json[]", -1, true, false, 'A', 0, false, TYPE_JSON},
    {TYPE_CIDR, "cidr", "cidr", -1, true, false, 'I', 651, true, 0},
    {651, "_cidr", "cidr[]", -1, true, false, 'A', 0, false, TYPE_CIDR},
    {TYPE_FLOAT4, "float4", "real", 4, false, false, 'N', 1021, false, 0},
    {TYPE_FLOAT8, "float8", "double precision", 8, false, true, 'N', 1022, false, 0},
    {TYPE_UNKNOWN, "unknown", "unknown", -2, true, false, 'X', 0, true, 0},
    {TYPE_INET, "inet", "inet", -1, true, true, 'I', 1041, true, 0},
    {1000, "_bool", "boolean[]", -1, true, false, 'A', 0, false, TYPE_BOOL},
    {1001, "_bytea", "bytea[]", -1, true, false, 'A', 0, false, TYPE_BYTEA},
    {1002, "_char", "\"char\"[]", -1, true, false, 'A', 0, false, TYPE_CHAR},
    {1003, "_name", "name[]", -1, true, false, 'A', 0, false, TYPE_NAME},
    {1005, "_int2", "smallint[]", -1, true, false, 'A', 0, false, TYPE_INT2},
    {1007, "_int4", "integer[]", -1, true, false, 'A', 0, false, TYPE_INT4},
    {1008, "_regproc", "regproc[]", -1, true, false, 'A', 0, false, TYPE_REGPROC},
    {1009, "_text", "text[]", -1, true, false, 'A', 0, false, TYPE_TEXT},
    {1014, "_bpchar", "character[]", -1, true, false, 'A', 0, false, TYPE_BPCHAR},
    {1015, "_varchar", "character varying[]", -1, true, false, 'A', 0, false, TYPE_VARCHAR},
    {1016, "_int8", "bigint[]", -1, true, false, 'A', 0, false, TYPE_INT8},
    {1021, "_float4", "real[]", -1, true, false, 'A', 0, false, TYPE_FLOAT4},
    {1022, "_float8", "double precision[]", -1, true, false, 'A', 0, false, TYPE_FLOAT8},
    {1028, "_oid", "oid[]", -1, true, false, 'A', 0, false, TYPE_OID},
    {1041, "_inet", "inet[]", -1, true, false, 'A', 0, false, TYPE_INET},
    {TYPE_BPCHAR, "bpchar", "character", -1, true, false, 'S', 1014, false, 0},
    {TYPE_VARCHAR, "varchar", "character varying", -1, true, false, 'S', 1015, true, 0},
    {TYPE_DATE, "date", "date", 4, false, false, 'D', 1182, true, 0},
    {TYPE_TIME, "time", "time without time zone", 8, false, false, 'D', 1183, true, 0},
    {TYPE_TIMESTAMP, "timestamp", "timestamp without time zone", 8, false, false, 'D', 1115, true,
        0},
    {1115, "_timestamp", "timestamp without time zone[]", -1, true, false, 'A', 0, false,
        TYPE_TIMESTAMP},
    {1182, "_date", "date[]", -1, true, false, 'A', 0, false, TYPE_DATE},
    {1183, "_time", "time without time zone[]", -1, true, false, 'A', 0, false, TYPE_TIME},
    {TYPE_TIMESTAMPTZ, "timestamptz", "timestamp with time zone", 8, false, true, 'D', 1185, true,
        0},
    {1185, "_timestamptz", "timestamp with time zone[]", -1, true, false, 'A', 0, false,
        TYPE_TIMESTAMPTZ},
    {TYPE_INTERVAL, "interval", "interval", 16, true, true, 'T', 1187, false, 0},
    {1187, "_interval", "interval[]", -1, true, false, 'A', 0, false, TYPE_INTERVAL},
    {1231, "_numeric", "numeric[]", -1, true, false, 'A', 0, false, TYPE_NUMERIC},
    {TYPE_NUMERIC, "numeric", "numeric", -1, true, false, 'N', 1231, false, 0},
    {TYPE_REGPROCEDURE, "regprocedure", "regprocedure", 4, false, false, 'N', 2207, true, 0},
    {TYPE_REGOPER, "regoper", "regoper", 4, false, false, 'N', 2208, true, 0},
    {TYPE_REGOPERATOR, "regoperator", "regoperator", 4, false, false, 'N', 2209, true, 0},
    {TYPE_REGCLASS, "regclass", "regclass", 4, false, false, 'N', 2210, true, 0},
    {TYPE_REGTYPE, "regtype", "regtype", 4, false, false, 'N', 2211, true, 0},
    {2207, "_regprocedure", "regprocedure[]", -1, true, false, 'A', 0, false, TYPE_REGPROCEDURE},
    {2208, "_regoper", "regoper[]", -1, true, false, 'A', 0, false, TYPE_REGOPER},
    {2209, "_regoperator", "regoperator[]", -1, true, false, 'A', 0, false, TYPE_REGOPERATOR},
    {2210, "_regclass", "regclass[]", -1, true, false, 'A', 0, false, TYPE_REGCLASS},
    {2211, "_regtype", "regtype[]", -1, true, false, 'A', 0, false, TYPE_REGTYPE},
    {TYPE_RECORD, "record", "record", -1, true, false, 'P', TYPE_RECORD_ARRAY, false, 0},
    {TYPE_ANY, "any", "\"any\"", 4, false, false, 'P', 0, false, 0},
    {TYPE_ANYARRAY, "anyarray", "anyarray", -1, true, false, 'P', 0, false, 0},
    {TYPE_VOID, "void", "void", 4, false, false, 'P', 0, false, 0},
    {TYPE_TRIGGER, "trigger", "trigger", 4, false, false, 'P', 0, false, 0},
    {TYPE_ANYELEMENT, "anyelement", "anyelement", 4, false, false, 'P', 0, false, 0},
    {TYPE_RECORD_ARRAY, "_record", "record[]", -1, true, false, 'P', 0, false, TYPE_RECORD},
    {TYPE_ANYNONARRAY, "anynonarray", "anynonarray", 4, false, false, 'P', 0, false, 0},
    {TYPE_UUID, "uuid", "uuid", 16, true, false, 'U', 2951, true, 0},
    {2951, "_uuid", "uuid[]", -1, true, false, 'A', 0, false, TYPE_UUID},
    {TYPE_ANYENUM, "anyenum", "anyenum", 4, false, false, 'P', 0, false, 0},
    {TYPE_JSONB, "jsonb", "jsonb", -1, true, false, 'U', 3807, false, 0},
    {3807, "_jsonb", "jsonb[]", -1, true, false, 'A', 0, false, TYPE_JSONB},
    {TYPE_REGNAMESPACE, "regnamespace", "regnamespace", 4, false, false, 'N', 4090, true, 0},
    {4090, "_regnamespace", "regnamespace[]", -1, true, false, 'A', 0, false, TYPE_REGNAMESPACE},
    {TYPE_REGROLE, "regrole", "regrole", 4, false, false, 'N', 4097, true, 0},
    {4097, "_regrole", "regrole[]", -1, true, false, 'A', 0, false, TYPE_REGROLE},
};
enum {
    TYPE_COUNT = sizeof types / sizeof types[0]
};

domain_check *value_domain_check;

/* ---- types of users ------------------------------------------------------------------------- */

enum {
    CHUNK_TYPES = 1024,
    CHUNK_COUNT = (TYPE_USER_END - TYPE_USER_FIRST) / CHUNK_TYPES,
};

/* All that is the same in every type of its kind; made by the thousand, as their OIDs come, and
 * never taken back, so that type_by_oid needs no latch. */
struct user_chunk {
    struct type types[CHUNK_TYPES];
    _Atomic oid_t bases[CHUNK_TYPES]; /* of domains; never changes once it is known */
};
static _Atomic(struct user_chunk *) user_types[CHUNK_COUNT];
static struct latch user_types_latch;

static struct user_chunk *
chunk_of(oid_t oid)
{
    return oid < TYPE_USER_FIRST || oid >= TYPE_USER_END
               ? NULL
               : atomic_load_explicit(
                     &user_types[(oid - TYPE_USER_FIRST) / CHUNK_TYPES], memory_order_acquire);
}

void
type_note_user(oid_t oid)
{
    ASSERT(oid >= TYPE_USER_FIRST && oid < TYPE_USER_END);
    size_t chunk = (oid - TYPE_USER_FIRST) / CHUNK_TYPES;
    if (chunk_of(oid) != NULL) {
        return;
    }
    struct user_chunk *made = mem_zalloc(sizeof *made);
    for (uint32_t i = 0; i < CHUNK_TYPES; i++) {
        oid_t its = (oid_t)(TYPE_USER_FIRST + chunk * CHUNK_TYPES + i);
        bool array = (its & 1) != 0;
        made->types[i] = array ? (struct type){its, "_user", "user[]", -1, true, false,
                                     CATEGORY_ARRAY, 0, false, its - 1}
                         : type_is_enum(its) ? (struct type){its, "enum", "enum", 4, false, false,
                                                   CATEGORY_ENUM, its + 1, true, 0}
                                             : (struct type){its, "domain", "domain", -1, true,
                                                   false, CATEGORY_USER, its + 1, false, 0};
    }
    latch_acquire(&user_types_latch);
    if (atomic_load_explicit(&user_types[chunk], memory_order_relaxed) == NULL) {
        atomic_store_explicit(&user_types[chunk], made, memory_order_release);
        made = NULL;
    }
    latch_release(&user_types_latch);
    mem_free(made);
}

void
type_note_domain(oid_t domain, oid_t base)
{
    type_note_user(domain);
    atomic_store_explicit(
        &chunk_of(domain)->bases[domain % CHUNK_TYPES], base, memory_order_relaxed);
}

oid_t
type_base(oid_t oid)
{
    while (type_has_domain(oid)) {
        struct user_chunk *chunk = chunk_of(oid);
        bool array = (oid & 1) != 0;
        oid_t domain = array ? oid - 1 : oid;
        oid_t base = chunk == NULL ? 0
                                   : atomic_load_explicit(
                                         &chunk->bases[domain % CHUNK_TYPES], memory_order_relaxed);
        if (array) {
            const struct type *element = type_by_oid(type_base(base));
            return element == NULL ? 0 : element->array_oid;
        }
        oid = base;
    }
    return oid;
}

const struct type *
type_by_oid(oid_t oid)
{
    if (oid >= TYPE_USER_FIRST) {
        struct user_chunk *chunk = chunk_of(oid);
        return chunk == NULL ? NULL : &chunk->types[oid % CHUNK_TYPES];
    }
    /* Sorted by OID. */
    size_t low = 0;
    size_t high = TYPE_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (types[middle].oid < oid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < TYPE_COUNT && types[low].oid == oid ? &types[low] : NULL;
}

const struct type *
type_by_name(const char *name)
{
    static const struct {
        const char *name;
        oid_t oid;
    } others[] = {{"int", TYPE_INT4}, {"decimal", TYPE_NUMERIC}, {"dec", TYPE_NUMERIC},
        {"float", TYPE_FLOAT8}, {"char varying", TYPE_VARCHAR}, {"timestamp", TYPE_TIMESTAMP},
        {"time", TYPE_TIME}, {"char", TYPE_BPCHAR}};
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(types[i].name, name) == 0 || strcmp(types[i].sql_name, name) == 0) {
            return &types[i];
        }
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(others[i].name, name) == 0) {
            return type_by_oid(others[i].oid);
        }
    }
    return NULL;
}

const struct type *
type_named(const struct eval_env *env, const char *schema, const char *name)
{
    bool plain = schema == NULL || strcmp(schema, "pg_catalog") == 0;
    const struct type *type = plain ? type_by_name(name) : NULL;
    if (type != NULL || value_catalog_hooks == NULL || env == NULL) {
        return type;
    }
    oid_t oid = value_catalog_hooks->type_oid(env, schema, name);
    return oid == 0 ? NULL : type_by_oid(oid);
}

const struct type *
type_by_sql_name(const struct eval_env *env, struct arena *arena, const char *text)
{
    struct ast_type *ast = NULL;
    struct diag ignored;
    if (parser_parse_type(arena, text, strlen(text), &ast, &ignored) != ERR_OK) {
        return NULL;
    }
    const struct type *type = type_named(env, ast->schema, ast->name);
    return type == NULL || ast->array_dimensions == 0 ? type : type_by_oid(type->array_oid);
}

oid_t
type_element(oid_t oid)
{
    const struct type *type = type_by_oid(oid);
    return type == NULL ? 0 : type->element;
}

const struct type *
type_all(size_t *count)
{
    *count = TYPE_COUNT;
    return types;
}

/* PostgreSQL's bits of an interval's modifier: what it keeps, and how many digits of a second. */
static const struct {
    uint32_t field; /* of the parser */
    int32_t bit;
    const char *name;
} interval_fields[] = {{1, 1 << 2, "year"}, {2, 1 << 1, "month"}, {4, 1 << 3, "day"},
    {8, 1 << 10, "hour"}, {16, 1 << 11, "minute"}, {32, 1 << 12, "second"}};
enum {
    INTERVAL_FIELD_COUNT = sizeof interval_fields / sizeof interval_fields[0],
    INTERVAL_RANGE_FULL = 0x7FFF,
    INTERVAL_PRECISION_FULL = 0xFFFF,
};

enum err
type_make_interval_typmod(
    uint32_t fields, const int32_t *numbers, size_t count, int32_t *typmod, struct diag *diag)
{
    int32_t range = 0;
    int32_t precision = INTERVAL_PRECISION_FULL;
    *typmod = -1;
    if (fields == 0 && count == 0) {
        return ERR_OK;
    }
    for (size_t i = 0; i < INTERVAL_FIELD_COUNT; i++) {
        range |= (fields & interval_fields[i].field) != 0 ? interval_fields[i].bit : 0;
    }
    if (count > 1) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid INTERVAL type modifier");
    }
    if (count == 1) {
        if (numbers[0] < 0) {
            return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
                "INTERVAL(%d) precision must not be negative", numbers[0]);
        }
        precision = numbers[0] > 6 ? 6 : numbers[0];
    }
    *typmod = (fields == 0 ? INTERVAL_RANGE_FULL : range) << 16 | precision;
    return ERR_OK;
}

static char *
interval_format(struct arena *arena, int32_t typmod)
{
    int32_t range = typmod >> 16 & INTERVAL_RANGE_FULL;
    int32_t precision = typmod & INTERVAL_PRECISION_FULL;
    const char *first = NULL;
    const char *last = NULL;
    for (size_t i = 0; range != INTERVAL_RANGE_FULL && i < INTERVAL_FIELD_COUNT; i++) {
        if ((range & interval_fields[i].bit) != 0) {
            first = first == NULL ? interval_fields[i].name : first;
            last = interval_fields[i].name;
        }
    }
    const char *fields = first == NULL   ? ""
                         : first == last ? arena_printf(arena, " %s", first)
                                         : arena_printf(arena, " %s to %s", first, last);
    return precision == INTERVAL_PRECISION_FULL
               ? arena_printf(arena, "interval%s", fields)
               : arena_printf(arena, "interval%s(%d)", fields, precision);
}

char *
type_format(const struct eval_env *env, struct arena *arena, oid_t oid, int32_t typmod)
{
    const struct type *type = type_by_oid(oid);
    if (type == NULL) {
        return arena_strdup(arena, oid == 0 ? "-" : "???");
    }
    if (type->element != 0 && type->array_oid == 0) {
        return arena_printf(arena, "%s[]", type_format(env, arena, type->element, typmod));
    }
    if (oid >= TYPE_USER_FIRST && env != NULL && value_catalog_hooks != NULL) {
        struct buffer name = {0};
        value_catalog_hooks->type_name(env, oid, &name);
        char *text = name.size == 0 ? arena_strdup(arena, "???")
                                    : arena_strndup(arena, (const char *)name.data, name.size);
        buffer_destroy(&name);
        return text;
    }
    if (typmod < 0) {
        return arena_strdup(arena, oid == TYPE_BPCHAR ? "bpchar" : type->sql_name);
    }
    switch (oid) {
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
        return arena_printf(arena, "%s(%d)", type->sql_name, typmod - 4);
    case TYPE_NUMERIC:
        return arena_printf(arena, "numeric(%d,%d)", (typmod - 4) >> 16 & 0xffff,
            (((typmod - 4) & 0x7ff) ^ 1024) - 1024);
    case TYPE_TIME:
        return arena_printf(arena, "time(%d) without time zone", typmod);
    case TYPE_TIMESTAMP:
        return arena_printf(arena, "timestamp(%d) without time zone", typmod);
    case TYPE_TIMESTAMPTZ:
        return arena_printf(arena, "timestamp(%d) with time zone", typmod);
    case TYPE_INTERVAL:
        return interval_format(arena, typmod);
    default:
        return arena_strdup(arena, type->sql_name);
    }
}

static enum err
character_typmod(
    const char *name, const int32_t *numbers, size_t count, int32_t *typmod, struct diag *diag)
{
    if (count != 1) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid type modifier");
    }
    if (numbers[0] < 1) {
        return diag_set(
            diag, ERR_INVALID_PARAMETER_VALUE, "length for type %s must be at least 1", name);
    }
    if (numbers[0] > 10485760) {
        return diag_set(
            diag, ERR_INVALID_PARAMETER_VALUE, "length for type %s cannot exceed 10485760", name);
    }
    *typmod = numbers[0] + 4;
    return ERR_OK;
}

static enum err
numeric_typmod(const int32_t *numbers, size_t count, int32_t *typmod, struct diag *diag)
{
    if (count < 1 || count > 2) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid NUMERIC type modifier");
    }
    if (numbers[0] < 1 || numbers[0] > 1000) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "NUMERIC precision %d must be between 1 and 1000", numbers[0]);
    }
    int32_t scale = count == 2 ? numbers[1] : 0;
    if (scale < -1000 || scale > 1000) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "NUMERIC scale %d must be between -1000 and 1000", scale);
    }
    *typmod = (numbers[0] << 16 | (scale & 0x7ff)) + 4;
    return ERR_OK;
}

enum err
type_make_typmod(
    oid_t type, const int32_t *numbers, size_t count, int32_t *typmod, struct diag *diag)
{
    *typmod = -1;
    switch (type) {
    case TYPE_VARCHAR:
        return character_typmod("varchar", numbers, count, typmod, diag);
    case TYPE_BPCHAR:
        return character_typmod("char", numbers, count, typmod, diag);
    case TYPE_NUMERIC:
        return numeric_typmod(numbers, count, typmod, diag);
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        if (count != 1 || numbers[0] < 0) {
            return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid type modifier");
        }
        *typmod = numbers[0] > 6 ? 6 : numbers[0];
        return ERR_OK;
    case TYPE_INTERVAL:
        return type_make_interval_typmod(0, numbers, count, typmod, diag);
    default:
        return diag_set(diag, ERR_SYNTAX, "type modifier is not allowed for type \"%s\"",
            type_by_oid(type) == NULL ? "?" : type_by_oid(type)->name);
    }
}
