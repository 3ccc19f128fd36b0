/* sql/catalog/access_functions.c - has_table_privilege and its like, pg_has_role. */
#include <ctype.h>
#include <strings.h>

#include "sql/catalog/catalog_internal.h"

enum whose { /* the argument before the object */
    WHOSE_OWN,
    WHOSE_OID,
    WHOSE_NAME,
};

static const char *
text_of(struct eval *eval, struct datum value)
{
    return arena_strndup(eval->arena, (const char *)value.p, value.size);
}

static enum err
find_role(struct eval *eval, enum whose whose, struct datum value, oid_t *role)
{
    const struct catalog *catalog = eval->env->catalog;
    if (whose == WHOSE_OID) {
        *role = (oid_t)value.i;
        return ERR_OK;
    }
    const char *name = whose == WHOSE_OWN ? eval->env->user : text_of(eval, value);
    const struct role *found = catalog_role(catalog, name);
    if (found == NULL && whose == WHOSE_NAME && strcmp(name, "public") == 0) {
        *role = ROLE_PUBLIC;
        return ERR_OK;
    }
    *role = found == NULL ? 0 : found->oid;
    return found != NULL
               ? ERR_OK
               : diag_set(eval->diag, ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", name);
}

/* "SELECT, UPDATE WITH GRANT OPTION": any of them is enough. */
static enum err
parse_privileges(struct eval *eval, struct datum text, uint32_t *privileges, uint32_t *options)
{
    *privileges = *options = 0;
    for (char *at = arena_strndup(eval->arena, (const char *)text.p, text.size); at != NULL;) {
        char *next = strchr(at, ',');
        if (next != NULL) {
            *next++ = '\0';
        }
        while (isspace((unsigned char)*at)) {
            at++;
        }
        size_t size = strlen(at);
        while (size > 0 && isspace((unsigned char)at[size - 1])) {
            size--;
        }
        static const char option[] = " with grant option";
        size_t tail = sizeof option - 1;
        bool with = size > tail && strncasecmp(at + size - tail, option, tail) == 0;
        uint32_t one = privilege_by_name(at, with ? size - tail : size);
        if (one == 0) {
            return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                "unrecognized privilege type: \"%.*s\"", (int)size, at);
        }
        *(with ? options : privileges) |= one;
        at = next;
    }
    return ERR_OK;
}

static bool
find_entry(const struct catalog *catalog, oid_t class_oid, oid_t oid, const char *name,
    struct catalog_entry *entry)
{
    if (class_oid == CATALOG_CLASS_DATABASE) {
        const struct database *database =
            name != NULL ? catalog_database(catalog, name) : catalog_database_by_oid(catalog, oid);
        if (database != NULL) {
            entry->oid = database->oid;
            entry->owner = database->owner;
        }
        return database != NULL;
    }
    for (size_t i = 0; catalog_schema_at(catalog, i, entry); i++) {
        if (name != NULL ? strcmp(entry->name, name) == 0 : entry->oid == oid) {
            return true;
        }
    }
    return false;
}

static enum err
has(struct eval *eval, oid_t class_oid, enum whose whose, bool by_name, struct datum who,
    struct datum object, struct datum text, struct datum *result)
{
    const struct catalog *catalog = eval->env->catalog;
    oid_t role = 0, oid = (oid_t)object.i, owner = 0;
    uint32_t privileges, options;
    *result = datum_null();
    if (catalog == NULL) {
        return ERR_OK;
    }
    TRY(find_role(eval, whose, who, &role));
    if (class_oid == CATALOG_CLASS_RELATION) {
        if (by_name) {
            struct datum found;
            TRY(type_input(eval, TYPE_REGCLASS, -1, slice_of(object.p, object.size), &found));
            oid = (oid_t)found.i;
        }
        const struct relation *relation = catalog_relation_by_oid(catalog, oid);
        if (relation == NULL) {
            return ERR_OK;
        }
        TRY(parse_privileges(eval, text, &privileges, &options));
        bool some = catalog_relation_privileges(catalog, role, relation, privileges) != 0 ||
                    (options != 0 && relation->kind != RELATION_VIRTUAL &&
                        catalog_privileges(catalog, role, class_oid, relation->oid, relation->owner,
                            options, true) != 0);
        *result = datum_bool(some);
        return ERR_OK;
    }
    struct catalog_entry entry;
    const char *name = by_name ? text_of(eval, object) : NULL;
    if (!find_entry(catalog, class_oid, oid, name, &entry)) {
        if (name == NULL) {
            return ERR_OK;
        }
        bool schema = class_oid == CATALOG_CLASS_SCHEMA;
        return diag_set(eval->diag, schema ? ERR_INVALID_SCHEMA_NAME : ERR_INVALID_CATALOG_NAME,
            schema ? "schema \"%s\" does not exist" : "database \"%s\" does not exist", name);
    }
    oid = entry.oid;
    owner = entry.owner;
    TRY(parse_privileges(eval, text, &privileges, &options));
    *result = datum_bool(
        catalog_privileges(catalog, role, class_oid, oid, owner, privileges, false) != 0 ||
        (options != 0 &&
            catalog_privileges(catalog, role, class_oid, oid, owner, options, true) != 0));
    return ERR_OK;
}

static enum err
has_role(struct eval *eval, enum whose whose, bool by_name, struct datum who, struct datum of,
    struct datum text, struct datum *result)
{
    const struct catalog *catalog = eval->env->catalog;
    oid_t role, group;
    *result = datum_null();
    if (catalog == NULL) {
        return ERR_OK;
    }
    TRY(find_role(eval, whose, who, &role));
    TRY(find_role(eval, by_name ? WHOSE_NAME : WHOSE_OID, of, &group));
    const char *word = text_of(eval, text);
    bool usage = strncasecmp(word, "usage", 5) == 0;
    if (!usage && strncasecmp(word, "member", 6) != 0) {
        return diag_set(
            eval->diag, ERR_INVALID_PARAMETER_VALUE, "unrecognized privilege type: \"%s\"", word);
    }
    *result = datum_bool(catalog_role_is(catalog, role, group, usage));
    return ERR_OK;
}

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)
#define ASKS(name, ...)                                                            \
    FN(name##_oid)                                                                 \
    {                                                                              \
        (void)count;                                                               \
        return CALL(__VA_ARGS__ WHOSE_OWN, false, datum_null(), args[0], args[1]); \
    }                                                                              \
    FN(name##_name)                                                                \
    {                                                                              \
        (void)count;                                                               \
        return CALL(__VA_ARGS__ WHOSE_OWN, true, datum_null(), args[0], args[1]);  \
    }                                                                              \
    FN(name##_oid_oid)                                                             \
    {                                                                              \
        (void)count;                                                               \
        return CALL(__VA_ARGS__ WHOSE_OID, false, args[0], args[1], args[2]);      \
    }                                                                              \
    FN(name##_oid_name)                                                            \
    {                                                                              \
        (void)count;                                                               \
        return CALL(__VA_ARGS__ WHOSE_OID, true, args[0], args[1], args[2]);       \
    }                                                                              \
    FN(name##_name_oid)                                                            \
    {                                                                              \
        (void)count;                                                               \
        return CALL(__VA_ARGS__ WHOSE_NAME, false, args[0], args[1], args[2]);     \
    }                                                                              \
    FN(name##_name_name)                                                           \
    {                                                                              \
        (void)count;                                                               \
        return CALL(__VA_ARGS__ WHOSE_NAME, true, args[0], args[1], args[2]);      \
    }
#define COMMA     ,
#define CALL(...) has(eval, __VA_ARGS__, result)
ASKS(relation, CATALOG_CLASS_RELATION COMMA)
ASKS(schema, CATALOG_CLASS_SCHEMA COMMA)
ASKS(database, CATALOG_CLASS_DATABASE COMMA)
#undef CALL
#define CALL(...) has_role(eval, __VA_ARGS__, result)
ASKS(role, )

/* Columns have no privileges of their own: what holds is the table's. `column`: a name, or a number
 * (a null is the answer for one that is not there). */
static enum err
has_column(struct eval *eval, enum whose whose, bool by_name, bool by_number, struct datum who,
    const struct datum *args, struct datum *result)
{
    const struct catalog *catalog = eval->env->catalog;
    struct datum table = args[0];
    *result = datum_null();
    if (by_name) {
        TRY(type_input(eval, TYPE_REGCLASS, -1, slice_of(table.p, table.size), &table));
    }
    const struct relation *relation =
        catalog == NULL ? NULL : catalog_relation_by_oid(catalog, (oid_t)table.i);
    if (relation == NULL) {
        return ERR_OK;
    }
    if (by_number && (args[1].i < 1 || args[1].i > relation->column_count ||
                         relation->columns[args[1].i - 1].dropped)) {
        return ERR_OK;
    }
    if (!by_number && relation_column(relation, text_of(eval, args[1])) < 0) {
        return diag_set(eval->diag, ERR_UNDEFINED_COLUMN,
            "column \"%s\" of relation \"%s\" does not exist", text_of(eval, args[1]),
            relation->name);
    }
    return has(eval, CATALOG_CLASS_RELATION, whose, false, who, table, args[2], result);
}

#define COLUMN_ASKS(name, by_name)                                                     \
    FN(name##_name)                                                                    \
    {                                                                                  \
        return has_column(eval, count == 3 ? WHOSE_OWN : WHOSE_NAME, by_name, false,   \
            count == 3 ? datum_null() : args[0], args + count - 3, result);            \
    }                                                                                  \
    FN(name##_number)                                                                  \
    {                                                                                  \
        return has_column(eval, count == 3 ? WHOSE_OWN : WHOSE_NAME, by_name, true,    \
            count == 3 ? datum_null() : args[0], args + count - 3, result);            \
    }                                                                                  \
    FN(name##_of_name)                                                                 \
    {                                                                                  \
        (void)count;                                                                   \
        return has_column(eval, WHOSE_OID, by_name, false, args[0], args + 1, result); \
    }                                                                                  \
    FN(name##_of_number)                                                               \
    {                                                                                  \
        (void)count;                                                                   \
        return has_column(eval, WHOSE_OID, by_name, true, args[0], args + 1, result);  \
    }
COLUMN_ASKS(column_of_oid, false)
COLUMN_ASKS(column_of_text, true)

FN(acl_default)
{
    (void)count;
    *result =
        catalog_acl_default(eval->arena, eval->env->catalog, (char)args[0].i, (oid_t)args[1].i);
    return ERR_OK;
}

#define STABLE (FUNCTION_STRICT | FUNCTION_STABLE)
#define F2(name, a, b, call)                                       \
    {                                                              \
        name, 0, TYPE_BOOL, 2, 2, STABLE, {a, b}, call, NULL, NULL \
    }
#define F3(name, a, b, c, call)                                       \
    {                                                                 \
        name, 0, TYPE_BOOL, 3, 3, STABLE, {a, b, c}, call, NULL, NULL \
    }
#define ROWS_OF(name, of)                                                               \
    F2(name, TYPE_OID, TYPE_TEXT, of##_oid), F2(name, TYPE_TEXT, TYPE_TEXT, of##_name), \
        F3(name, TYPE_OID, TYPE_OID, TYPE_TEXT, of##_oid_oid),                          \
        F3(name, TYPE_OID, TYPE_TEXT, TYPE_TEXT, of##_oid_name),                        \
        F3(name, TYPE_NAME, TYPE_OID, TYPE_TEXT, of##_name_oid),                        \
        F3(name, TYPE_NAME, TYPE_TEXT, TYPE_TEXT, of##_name_name)

#define F4(name, a, b, c, d, call)                                       \
    {                                                                    \
        name, 0, TYPE_BOOL, 4, 4, STABLE, {a, b, c, d}, call, NULL, NULL \
    }
#define COLUMN_ROWS(table, of)                                                           \
    F3("has_column_privilege", table, TYPE_TEXT, TYPE_TEXT, of##_name),                  \
        F3("has_column_privilege", table, TYPE_INT2, TYPE_TEXT, of##_number),            \
        F4("has_column_privilege", TYPE_NAME, table, TYPE_TEXT, TYPE_TEXT, of##_name),   \
        F4("has_column_privilege", TYPE_NAME, table, TYPE_INT2, TYPE_TEXT, of##_number), \
        F4("has_column_privilege", TYPE_OID, table, TYPE_TEXT, TYPE_TEXT, of##_of_name), \
        F4("has_column_privilege", TYPE_OID, table, TYPE_INT2, TYPE_TEXT, of##_of_number)

static const struct function functions[] = {
    ROWS_OF("has_table_privilege", relation),
    ROWS_OF("has_any_column_privilege", relation),
    ROWS_OF("has_sequence_privilege", relation),
    ROWS_OF("has_schema_privilege", schema),
    ROWS_OF("has_database_privilege", database),
    F2("pg_has_role", TYPE_OID, TYPE_TEXT, role_oid),
    F2("pg_has_role", TYPE_NAME, TYPE_TEXT, role_name),
    F3("pg_has_role", TYPE_OID, TYPE_OID, TYPE_TEXT, role_oid_oid),
    F3("pg_has_role", TYPE_OID, TYPE_NAME, TYPE_TEXT, role_oid_name),
    F3("pg_has_role", TYPE_NAME, TYPE_OID, TYPE_TEXT, role_name_oid),
    F3("pg_has_role", TYPE_NAME, TYPE_NAME, TYPE_TEXT, role_name_name),
    {"acldefault", 3943, TYPE_TEXT_ARRAY, 2, 2, STABLE, {TYPE_CHAR, TYPE_OID}, acl_default, NULL,
        NULL},
    COLUMN_ROWS(TYPE_OID, column_of_oid),
    COLUMN_ROWS(TYPE_TEXT, column_of_text),
};

void
catalog__register_access(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
}
