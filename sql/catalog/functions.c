/*
 * sql/catalog/functions.c - SQL functions that look at the catalog: pg_get_*, sizes, visibility,
 * comments, privileges; and what regclass and its relatives need.
 *
 * All of them are STABLE: they see the picture of their statement. What does not exist is null, as
 * in PostgreSQL, so that a query over pg_class survives an object dropped meanwhile.
 */
#include <strings.h>

#include "base/assert.h"
#include "parser/parser.h"
#include "sql/catalog/virtual_internal.h"

enum {
    ENCODING_SQL_ASCII = 0,
    ENCODING_UTF8 = 6,
    PAGE_SIZE = 16384, /* of the B-tree; a leaf's share of the file before compression */
};

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

static struct datum
text_or_null(const char *text)
{
    return text == NULL ? datum_null() : virtual__text(text);
}

static char *
argument_text(struct eval *eval, struct datum value)
{
    return arena_strndup(eval->arena, (const char *)value.p, value.size);
}

/* ---- names ----------------------------------------------------------------------------------- */

enum {
    NAME_PARTS_MAX = 3,
};

/* a."B".c into its parts, folded; the number of them, 0: malformed. */
static int
split_name(struct arena *arena, struct slice name, char *parts[NAME_PARTS_MAX])
{
    const char *at = (const char *)name.data;
    const char *end = at + name.size;
    for (int count = 0; count < NAME_PARTS_MAX;) {
        char *part = arena_alloc(arena, (size_t)(end - at) + 1);
        size_t size = 0;
        bool quoted = at < end && *at == '"';
        for (at += quoted ? 1 : 0; at < end; at++) {
            if (quoted && *at == '"') {
                if (at + 1 == end || at[1] != '"') {
                    break;
                }
                at++;
            } else if (!quoted && *at == '.') {
                break;
            }
            part[size++] = !quoted && *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
        }
        if (quoted) {
            if (at == end) {
                return 0;
            }
            at++;
        }
        if (size == 0) {
            return 0;
        }
        part[size > NAME_MAX_BYTES ? NAME_MAX_BYTES : size] = '\0';
        parts[count++] = part;
        if (at == end) {
            return count;
        }
        if (*at++ != '.') {
            return 0;
        }
    }
    return 0;
}

/* A table, view or index of this name; 0: none. */
static enum err
find_relation(struct eval *eval, struct slice name, oid_t *oid)
{
    *oid = 0;
    char *parts[NAME_PARTS_MAX];
    int count = split_name(eval->arena, name, parts);
    if (count == 0) {
        return diag_set(eval->diag, ERR_INVALID_NAME, "invalid name syntax");
    }
    const struct catalog *catalog = eval->env->catalog;
    if (catalog == NULL) {
        return ERR_OK;
    }
    if (count == 3 && eval->env->database != NULL && strcmp(parts[0], eval->env->database) != 0) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED,
            "cross-database references are not implemented: %.*s", (int)name.size,
            (const char *)name.data);
    }
    const char *schema = count == 1 ? NULL : parts[count - 2];
    const char *const *path = eval->env->search_path;
    const struct relation *relation = NULL;
    const struct index *index =
        catalog_index_on(catalog, path, schema, parts[count - 1], &relation);
    if (index != NULL) {
        *oid = index->oid;
        return ERR_OK;
    }
    relation = catalog_relation_on(catalog, path, schema, parts[count - 1]);
    *oid = relation == NULL ? 0 : relation->oid;
    return ERR_OK;
}

static enum err
relation_oid(struct eval *eval, struct slice name, oid_t *oid)
{
    if (name.size == 1 && name.data[0] == '-') {
        *oid = 0;
        return ERR_OK;
    }
    TRY(find_relation(eval, name, oid));
    if (*oid == 0) {
        return diag_set(eval->diag, ERR_UNDEFINED_TABLE, "relation \"%.*s\" does not exist",
            (int)name.size, (const char *)name.data);
    }
    return ERR_OK;
}

/* An object of pg_class: a relation, or one of its indexes. */
struct object {
    const struct relation *relation; /* NULL: there is none */
    const struct index *index;
    const char *name;
};

static struct object
find_object(const struct catalog *catalog, oid_t oid)
{
    struct object object = {0};
    if (catalog == NULL) {
        return object;
    }
    object.index = catalog_index_by_oid(catalog, oid, &object.relation);
    if (object.index == NULL) {
        object.relation = catalog_relation_by_oid(catalog, oid);
    }
    if (object.relation != NULL) {
        object.name = object.index != NULL ? object.index->name : object.relation->name;
    }
    return object;
}

/* True if its name alone leads to it. */
static bool
is_visible(const struct eval_env *env, const struct object *object)
{
    const struct catalog *catalog = env->catalog;
    const struct relation *table;
    const struct index *index =
        catalog_index_on(catalog, env->search_path, NULL, object->name, &table);
    if (object->index != NULL || index != NULL) {
        return index == object->index;
    }
    return catalog_relation_on(catalog, env->search_path, NULL, object->name) == object->relation;
}

static void
relation_name(const struct eval_env *env, oid_t oid, struct buffer *to)
{
    struct object object = find_object(env->catalog, oid);
    if (object.relation == NULL) {
        return;
    }
    struct arena arena;
    arena_create(&arena, "regclass");
    if (!is_visible(env, &object)) {
        buffer_printf(to, "%s.", parser_quote_ident(&arena, object.relation->schema_name));
    }
    buffer_add_text(to, parser_quote_ident(&arena, object.name));
    arena_destroy(&arena);
}

static enum err
schema_oid(struct eval *eval, struct slice name, oid_t *oid)
{
    char *parts[NAME_PARTS_MAX];
    if (split_name(eval->arena, name, parts) != 1) {
        return diag_set(eval->diag, ERR_INVALID_NAME, "invalid name syntax");
    }
    *oid = eval->env->catalog == NULL ? 0 : catalog_schema(eval->env->catalog, parts[0]);
    return *oid != 0 ? ERR_OK
                     : diag_set(eval->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist",
                           parts[0]);
}

static const struct role *
find_role(const struct catalog *catalog, oid_t oid)
{
    const struct role *role = NULL;
    for (size_t i = 0; catalog != NULL && (role = catalog_role_at(catalog, i)) != NULL; i++) {
        if (role->oid == oid) {
            return role;
        }
    }
    return NULL;
}

static enum err
role_oid(struct eval *eval, struct slice name, oid_t *oid)
{
    char *parts[NAME_PARTS_MAX];
    if (split_name(eval->arena, name, parts) != 1) {
        return diag_set(eval->diag, ERR_INVALID_NAME, "invalid name syntax");
    }
    const struct role *role =
        eval->env->catalog == NULL ? NULL : catalog_role(eval->env->catalog, parts[0]);
    if (role == NULL) {
        return diag_set(eval->diag, ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", parts[0]);
    }
    *oid = role->oid;
    return ERR_OK;
}

static bool
on_path(const struct eval_env *env, const char *schema)
{
    static const char *const only_public[] = {"public", NULL};
    const char *const *path = env->search_path == NULL ? only_public : env->search_path;
    for (; *path != NULL; path++) {
        if (strcmp(*path, schema) == 0) {
            return true;
        }
    }
    return false;
}

/* regproc: a function of a user. 0: none. */
static enum err
function_oid(struct eval *eval, struct slice name, oid_t *oid)
{
    char *parts[NAME_PARTS_MAX];
    int count = split_name(eval->arena, name, parts);
    const struct catalog *catalog = eval->env->catalog;
    const struct user_function *function;
    *oid = 0;
    for (size_t i = 0; catalog != NULL && count > 0 && count < 3 &&
                       (function = catalog_function_at(catalog, i)) != NULL;
         i++) {
        bool here = count == 1 ? on_path(eval->env, function->schema_name)
                               : strcmp(parts[0], function->schema_name) == 0;
        if (!here || strcmp(parts[count - 1], function->name) != 0) {
            continue;
        }
        if (*oid != 0) {
            return diag_set(eval->diag, ERR_AMBIGUOUS_FUNCTION,
                "more than one function named \"%s\"", parts[count - 1]);
        }
        *oid = function->oid;
    }
    return ERR_OK;
}

/* regprocedure: the function of a user with this signature. */
static void
signature_oid(struct eval *eval, struct slice text, oid_t *oid)
{
    const struct catalog *catalog = eval->env->catalog;
    const struct user_function *function;
    *oid = 0;
    for (size_t i = 0;
         catalog != NULL && *oid == 0 && (function = catalog_function_at(catalog, i)) != NULL;
         i++) {
        const char *has = catalog_function_signature(eval->env, eval->arena, function);
        const char *whole = arena_printf(eval->arena, "%s.%s", function->schema_name, has);
        bool named = on_path(eval->env, function->schema_name) &&
                     slice_equal(text, slice_of(has, strlen(has)));
        *oid = named || slice_equal(text, slice_of(whole, strlen(whole))) ? function->oid : 0;
    }
}

static enum err
reg_oid(struct eval *eval, oid_t type, struct slice name, oid_t *oid)
{
    switch (type) {
    case TYPE_REGPROC:
        return function_oid(eval, name, oid);
    case TYPE_REGPROCEDURE:
        signature_oid(eval, name, oid);
        return ERR_OK;
    case TYPE_REGCLASS:
        return relation_oid(eval, name, oid);
    case TYPE_REGNAMESPACE:
        return schema_oid(eval, name, oid);
    default:
        return role_oid(eval, name, oid);
    }
}

static void
reg_name(const struct eval_env *env, oid_t type, oid_t oid, struct buffer *to)
{
    const char *name = NULL;
    if (type == TYPE_REGCLASS) {
        relation_name(env, oid, to);
        return;
    }
    if (type == TYPE_REGPROCEDURE) {
        const struct user_function *function =
            env->catalog == NULL ? NULL : catalog_function_by_oid(env->catalog, oid);
        if (function != NULL) {
            struct arena arena;
            arena_create(&arena, "reg");
            buffer_printf(to, "%s%s%s",
                on_path(env, function->schema_name) ? "" : function->schema_name,
                on_path(env, function->schema_name) ? "" : ".",
                catalog_function_signature(env, &arena, function));
            arena_destroy(&arena);
        }
        return;
    }
    if (type == TYPE_REGPROC) {
        const struct user_function *function =
            env->catalog == NULL ? NULL : catalog_function_by_oid(env->catalog, oid);
        name = function == NULL ? NULL : function->name;
        if (function != NULL && !on_path(env, function->schema_name)) {
            buffer_printf(to, "%s.", function->schema_name);
        }
    } else if (type == TYPE_REGNAMESPACE) {
        name = env->catalog == NULL ? NULL : catalog_schema_name(env->catalog, oid);
    } else {
        const struct role *role = find_role(env->catalog, oid);
        name = role == NULL ? NULL : role->name;
    }
    if (name != NULL) {
        struct arena arena;
        arena_create(&arena, "reg");
        buffer_add_text(to, parser_quote_ident(&arena, name));
        arena_destroy(&arena);
    }
}

static const struct value_catalog_hooks hooks = {.oid = reg_oid,
    .name = reg_name,
    .type_oid = catalog__type_oid,
    .type_name = catalog__type_name,
    .enum_input = catalog__enum_input,
    .enum_output = catalog__enum_output};

FN(to_regclass)
{
    (void)count;
    oid_t oid;
    TRY(find_relation(eval, slice_of(args[0].p, args[0].size), &oid));
    *result = oid == 0 ? datum_null() : datum_int(oid);
    return ERR_OK;
}

FN(to_regtype)
{
    (void)count;
    const struct type *type =
        type_by_sql_name(eval->env, eval->arena, argument_text(eval, args[0]));
    *result = type == NULL ? datum_null() : datum_int(type->oid);
    return ERR_OK;
}

FN(to_regnamespace)
{
    (void)count;
    char *parts[NAME_PARTS_MAX];
    *result = datum_null();
    if (eval->env->catalog != NULL &&
        split_name(eval->arena, slice_of(args[0].p, args[0].size), parts) == 1) {
        oid_t oid = catalog_schema(eval->env->catalog, parts[0]);
        *result = oid == 0 ? datum_null() : datum_int(oid);
    }
    return ERR_OK;
}

/* What cannot be read as the type is null. */
#define TO_REG(name, type)                                          \
    FN(name)                                                        \
    {                                                               \
        (void)count;                                                \
        struct eval quiet = *eval;                                  \
        struct diag unheard;                                        \
        diag_clear(&unheard);                                       \
        quiet.diag = &unheard;                                      \
        struct slice text = slice_of(args[0].p, args[0].size);      \
        if (type_input(&quiet, type, -1, text, result) != ERR_OK) { \
            *result = datum_null();                                 \
        }                                                           \
        return ERR_OK;                                              \
    }
TO_REG(to_regproc, TYPE_REGPROC)
TO_REG(to_regprocedure, TYPE_REGPROCEDURE)
TO_REG(to_regoper, TYPE_REGOPER)
TO_REG(to_regoperator, TYPE_REGOPERATOR)
TO_REG(to_regrole, TYPE_REGROLE)

/* ---- visibility, privileges ------------------------------------------------------------------ */

FN(current_schema)
{
    (void)args;
    (void)count;
    const struct eval_env *env = eval->env;
    const char *name =
        env->catalog == NULL ? NULL : catalog_creation_schema(env->catalog, env->search_path);
    *result = name == NULL ? datum_null() : datum_bytes(name, strlen(name));
    return ERR_OK;
}

/* current_schemas(with the implicit ones) */
FN(current_schemas)
{
    (void)count;
    const struct eval_env *env = eval->env;
    static const char *const only_public[] = {"public", NULL};
    const char *const *path = env->search_path == NULL ? only_public : env->search_path;
    uint32_t room = 1;
    bool named = false;
    for (const char *const *at = path; *at != NULL; at++) {
        room++;
        named |= strcmp(*at, "pg_catalog") == 0;
    }
    struct datum *names = arena_array(eval->arena, room, sizeof *names);
    uint32_t used = 0;
    const char *temporary = catalog_temporary_schema(path);
    path += temporary != NULL;
    if (args[0].i != 0 && temporary != NULL && env->catalog != NULL &&
        catalog_schema(env->catalog, temporary) != 0) {
        names[used++] = datum_bytes(temporary, strlen(temporary));
    }
    if (args[0].i != 0 && !named) {
        names[used++] = datum_bytes("pg_catalog", strlen("pg_catalog"));
    }
    for (const char *const *at = path; *at != NULL; at++) {
        if (env->catalog != NULL && catalog_schema(env->catalog, *at) != 0) {
            names[used++] = datum_bytes(*at, strlen(*at));
        }
    }
    *result = array_make(eval->arena, TYPE_NAME, false, names, used);
    return ERR_OK;
}

FN(table_is_visible)
{
    (void)count;
    struct object object = find_object(eval->env->catalog, (oid_t)args[0].i);
    *result = object.relation == NULL ? datum_null() : datum_bool(is_visible(eval->env, &object));
    return ERR_OK;
}

/* Types, functions, operators, collations: all are in pg_catalog. */
FN(always_true)
{
    (void)eval;
    (void)args;
    (void)count;
    *result = datum_bool(true);
    return ERR_OK;
}

FN(always_false)
{
    (void)eval;
    (void)args;
    (void)count;
    *result = datum_bool(false);
    return ERR_OK;
}

/* Definitions of what there is none of: triggers, rules, partitions. */
FN(always_null)
{
    (void)eval;
    (void)args;
    (void)count;
    *result = datum_null();
    return ERR_OK;
}

FN(zero)
{
    (void)eval;
    (void)args;
    (void)count;
    *result = datum_int(0);
    return ERR_OK;
}

FN(empty_text)
{
    (void)eval;
    (void)args;
    (void)count;
    *result = virtual__text("");
    return ERR_OK;
}

FN(is_publishable)
{
    (void)count;
    struct object object = find_object(eval->env->catalog, (oid_t)args[0].i);
    *result = object.relation == NULL
                  ? datum_null()
                  : datum_bool(object.index == NULL && object.relation->kind == RELATION_TABLE);
    return ERR_OK;
}

/* ---- definitions ----------------------------------------------------------------------------- */

FN(format_type)
{
    (void)count;
    if (args[0].null) {
        *result = datum_null();
        return ERR_OK;
    }
    oid_t oid = (oid_t)args[0].i;
    if (args[1].null) {
        /* Without saying anything of a modifier, char(n) is "character", not "bpchar". */
        const struct type *type = type_by_oid(oid);
        bool plain = type != NULL && oid < TYPE_USER_FIRST;
        *result =
            virtual__text(plain ? type->sql_name : type_format(eval->env, eval->arena, oid, -1));
    } else {
        *result = virtual__text(type_format(eval->env, eval->arena, oid, (int32_t)args[1].i));
    }
    return ERR_OK;
}

FN(get_indexdef)
{
    const struct relation *table;
    *result = datum_null();
    if (eval->env->catalog != NULL) {
        const struct index *index =
            catalog_index_by_oid(eval->env->catalog, (oid_t)args[0].i, &table);
        if (index != NULL) {
            int column = count > 1 ? (int)args[1].i : 0;
            *result = virtual__text(catalog__index_definition(
                eval->env, eval->arena, table, index, column, count > 2 && args[2].i != 0));
        }
    }
    return ERR_OK;
}

FN(get_constraintdef)
{
    const struct eval_env *env = eval->env;
    bool pretty = count > 1 && args[1].i != 0;
    *result = env->catalog == NULL ? datum_null()
                                   : text_or_null(catalog__constraint_definition(
                                         env, eval->arena, (oid_t)args[0].i, pretty));
    return ERR_OK;
}

/* Expressions are kept as text, and shown with all parentheses unless asked for fewer. */
FN(get_expr)
{
    *result = args[0];
    if (count > 2 && args[2].i != 0) {
        bool is_call;
        const char *text = arena_strndup(eval->arena, (const char *)args[0].p, args[0].size);
        *result =
            text_or_null(catalog_expression_text(eval->env, eval->arena, text, true, &is_call));
    }
    return ERR_OK;
}

FN(get_viewdef)
{
    const struct eval_env *env = eval->env;
    struct object object = find_object(env->catalog, (oid_t)args[0].i);
    *result = object.relation == NULL || object.index != NULL
                  ? datum_null()
                  : text_or_null(catalog_view_definition(eval->arena, env->catalog,
                        env->search_path, object.relation, count > 1 && args[1].i != 0));
    return ERR_OK;
}

static void
add_type(struct eval *eval, struct buffer *to, oid_t type)
{
    const struct type *found = type_by_oid(type);
    buffer_add_text(
        to, found != NULL ? found->sql_name : type_format(eval->env, eval->arena, type, -1));
}

static struct datum
take_buffer(struct eval *eval, struct buffer *buffer)
{
    struct datum text =
        datum_bytes(arena_copy(eval->arena, buffer->data, buffer->size), buffer->size);
    buffer_destroy(buffer);
    return text;
}

static const struct ast_create_function *
user_definition(const struct eval *eval, oid_t oid)
{
    const struct catalog *catalog = eval->env->catalog;
    const struct user_function *function =
        catalog == NULL ? NULL : catalog_function_by_oid(catalog, oid);
    return function == NULL ? NULL : catalog_function_definition(eval->arena, function);
}

static enum err
show_arguments(struct eval *eval, const struct datum *args, bool defaults, struct datum *result)
{
    const struct function *function = function_by_oid((oid_t)args[0].i);
    if (function == NULL) {
        const struct ast_create_function *definition = user_definition(eval, (oid_t)args[0].i);
        *result = text_or_null(definition == NULL ? NULL
                                                  : catalog_function_arguments(eval->env,
                                                        eval->arena, definition, defaults));
        return ERR_OK;
    }
    struct buffer to = {0};
    for (uint8_t i = 0; i < function->arg_count; i++) {
        buffer_add_text(&to, i == 0 ? "" : ", ");
        if ((function->flags & FUNCTION_VARIADIC) != 0 && i + 1 == function->arg_count) {
            buffer_add_text(&to, "VARIADIC ");
        }
        add_type(eval, &to, function->args[i]);
    }
    *result = take_buffer(eval, &to);
    return ERR_OK;
}

FN(function_arguments)
{
    (void)count;
    return show_arguments(eval, args, true, result);
}

FN(function_identity_arguments)
{
    (void)count;
    return show_arguments(eval, args, false, result);
}

FN(function_definition)
{
    (void)count;
    const struct catalog *catalog = eval->env->catalog;
    const struct user_function *function =
        catalog == NULL ? NULL : catalog_function_by_oid(catalog, (oid_t)args[0].i);
    *result = text_or_null(
        function == NULL ? NULL : catalog_function_text(eval->env, eval->arena, function));
    return ERR_OK;
}

FN(function_result)
{
    (void)count;
    const struct function *function = function_by_oid((oid_t)args[0].i);
    if (function == NULL) {
        const struct ast_create_function *definition = user_definition(eval, (oid_t)args[0].i);
        *result = text_or_null(definition == NULL
                                   ? NULL
                                   : catalog_function_result(eval->env, eval->arena, definition));
        return ERR_OK;
    }
    struct buffer to = {0};
    buffer_add_text(&to, (function->flags & FUNCTION_SET) != 0 ? "SETOF " : "");
    add_type(eval, &to, function->result);
    *result = take_buffer(eval, &to);
    return ERR_OK;
}

FN(get_userbyid)
{
    (void)count;
    const struct role *role = find_role(eval->env->catalog, (oid_t)args[0].i);
    *result = virtual__text(
        role != NULL ? role->name
                     : arena_printf(eval->arena, "unknown (OID=%u)", (unsigned)args[0].i));
    return ERR_OK;
}

/* ---- comments -------------------------------------------------------------------------------- */

static const char *
comment(struct eval *eval, const char *class_name, oid_t oid, int32_t sub)
{
    const struct catalog *catalog = eval->env->catalog;
    const struct relation *class =
        catalog == NULL ? NULL : catalog_relation(catalog, "pg_catalog", class_name);
    return class == NULL ? NULL : catalog_comment(catalog, class->oid, oid, sub);
}

FN(obj_description)
{
    *result = datum_null();
    if (count > 1) {
        *result = text_or_null(comment(eval, argument_text(eval, args[1]), (oid_t)args[0].i, 0));
        return ERR_OK;
    }
    static const char *const classes[] = {"pg_class", "pg_namespace", "pg_constraint", "pg_type"};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0] && result->null; i++) {
        *result = text_or_null(comment(eval, classes[i], (oid_t)args[0].i, 0));
    }
    return ERR_OK;
}

FN(col_description)
{
    (void)count;
    *result = args[1].i == 0
                  ? datum_null()
                  : text_or_null(comment(eval, "pg_class", (oid_t)args[0].i, (int32_t)args[1].i));
    return ERR_OK;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static int64_t
tree_bytes(const struct catalog *catalog, tree_id_t tree)
{
    uint64_t leaves = 0;
    uint64_t rows = 0;
    txn_tree_size(catalog->db, tree, &leaves, &rows);
    return (int64_t)leaves * PAGE_SIZE;
}

/* The table's own tree is its primary key's too: counted once, with the table. */
static int64_t
index_bytes(const struct catalog *catalog, const struct relation *table)
{
    int64_t bytes = 0;
    for (uint16_t i = 0; i < table->index_count; i++) {
        if (table->indexes[i].tree.v != table->tree.v) {
            bytes += tree_bytes(catalog, table->indexes[i].tree);
        }
    }
    return bytes;
}

enum size_kind {
    SIZE_OWN,
    SIZE_INDEXES,
    SIZE_ALL,
};

static enum err
relation_size(struct eval *eval, oid_t oid, enum size_kind kind, struct datum *result)
{
    const struct catalog *catalog = eval->env->catalog;
    struct object object = find_object(catalog, oid);
    *result = datum_null();
    if (object.relation == NULL) {
        return ERR_OK;
    }
    bool stored = object.relation->kind == RELATION_TABLE;
    if (object.index != NULL) {
        *result = datum_int(kind == SIZE_INDEXES ? 0 : tree_bytes(catalog, object.index->tree));
        return ERR_OK;
    }
    int64_t bytes = 0;
    if (stored && kind != SIZE_INDEXES) {
        bytes += tree_bytes(catalog, object.relation->tree);
    }
    if (stored && kind != SIZE_OWN) {
        bytes += index_bytes(catalog, object.relation);
    }
    *result = datum_int(bytes);
    return ERR_OK;
}

FN(table_size)
{
    (void)count;
    return relation_size(eval, (oid_t)args[0].i, SIZE_OWN, result);
}

/* The forks of PostgreSQL: all is in the main one. */
FN(relation_size_fork)
{
    (void)count;
    const char *fork = argument_text(eval, args[1]);
    if (strcmp(fork, "main") == 0) {
        return relation_size(eval, (oid_t)args[0].i, SIZE_OWN, result);
    }
    if (strcmp(fork, "fsm") != 0 && strcmp(fork, "vm") != 0 && strcmp(fork, "init") != 0) {
        TRY(diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "invalid fork name"));
    }
    *result = datum_int(0);
    return ERR_OK;
}

FN(indexes_size)
{
    (void)count;
    return relation_size(eval, (oid_t)args[0].i, SIZE_INDEXES, result);
}

FN(total_relation_size)
{
    (void)count;
    return relation_size(eval, (oid_t)args[0].i, SIZE_ALL, result);
}

static int64_t
database_bytes(const struct catalog *catalog, oid_t database)
{
    int64_t bytes = 0;
    const struct relation *relation;
    catalog = catalog_whole(catalog);
    for (size_t i = 0; (relation = catalog_relation_at(catalog, i)) != NULL; i++) {
        if (relation->kind == RELATION_TABLE && relation->database == database) {
            bytes += tree_bytes(catalog, relation->tree) + index_bytes(catalog, relation);
        }
    }
    return bytes;
}

FN(database_size)
{
    (void)count;
    const struct catalog *catalog = eval->env->catalog;
    oid_t oid = (oid_t)args[0].i;
    *result = catalog == NULL || catalog_database_by_oid(catalog, oid) == NULL
                  ? datum_null()
                  : datum_int(database_bytes(catalog, oid));
    return ERR_OK;
}

FN(database_size_by_name)
{
    (void)count;
    const char *name = argument_text(eval, args[0]);
    const struct catalog *catalog = eval->env->catalog;
    const struct database *database = catalog == NULL ? NULL : catalog_database(catalog, name);
    if (database == NULL) {
        return diag_set(
            eval->diag, ERR_INVALID_CATALOG_NAME, "database \"%s\" does not exist", name);
    }
    *result = datum_int(database_bytes(catalog, database->oid));
    return ERR_OK;
}

/* PostgreSQL goes to the next unit at 10 of its own kilo: 10 kB is still "10240 bytes" less one;
 * and rounds half away from zero. */
FN(size_pretty)
{
    (void)count;
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    int64_t size = args[0].i;
    uint64_t magnitude = size < 0 ? 0 - (uint64_t)size : (uint64_t)size;
    const char *sign = size < 0 ? "-" : "";
    if (magnitude < 10 * 1024) {
        *result = virtual__text(
            arena_printf(eval->arena, "%s%llu bytes", sign, (unsigned long long)magnitude));
        return ERR_OK;
    }
    size_t unit = 1;
    uint64_t halves = magnitude >> 9;
    while (halves >= 20 * 1024 - 1 && unit + 1 < sizeof units / sizeof units[0]) {
        halves >>= 10;
        unit++;
    }
    *result = virtual__text(arena_printf(
        eval->arena, "%s%llu %s", sign, (unsigned long long)((halves + 1) / 2), units[unit]));
    return ERR_OK;
}

FN(size_pretty_numeric)
{
    const struct function *cast;
    enum cast_method method = cast_find(TYPE_NUMERIC, TYPE_INT8, CAST_EXPLICIT, &cast);
    ASSERT(method == CAST_FUNCTION);
    struct datum size;
    TRY(cast->call(eval, args, 1, &size));
    return size_pretty(eval, &size, count, result);
}

/* ---- encodings ------------------------------------------------------------------------------- */

FN(encoding_to_char)
{
    (void)eval;
    (void)count;
    *result = virtual__text(args[0].i == ENCODING_UTF8        ? "UTF8"
                            : args[0].i == ENCODING_SQL_ASCII ? "SQL_ASCII"
                                                              : "");
    return ERR_OK;
}

FN(char_to_encoding)
{
    (void)count;
    const char *name = argument_text(eval, args[0]);
    bool utf8 = strcasecmp(name, "utf8") == 0 || strcasecmp(name, "utf-8") == 0 ||
                strcasecmp(name, "unicode") == 0;
    *result = datum_int(utf8                                 ? ENCODING_UTF8
                        : strcasecmp(name, "sql_ascii") == 0 ? ENCODING_SQL_ASCII
                                                             : -1);
    return ERR_OK;
}

FN(encoding)
{
    (void)eval;
    (void)args;
    (void)count;
    *result = virtual__text("UTF8");
    return ERR_OK;
}

/* ---- functions that return rows ----------------------------------------------------------- */

struct position {
    size_t at;
    struct datum *elements;
    size_t count;
};

static enum err
keywords_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    (void)eval;
    (void)args;
    (void)count;
    struct position *state = memory;
    (void)parser_keywords(&state->count);
    return ERR_OK;
}

static enum err
keywords_next(struct eval *eval, void *memory, struct datum *values, bool *done)
{
    (void)eval;
    static const struct {
        char code;
        const char *text;
    } classes[] = {
        [PARSER_UNRESERVED] = {'U', "unreserved"},
        [PARSER_COL_NAME] = {'C', "unreserved (cannot be function or type name)"},
        [PARSER_TYPE_FUNC_NAME] = {'T', "reserved (can be function or type name)"},
        [PARSER_RESERVED] = {'R', "reserved"},
    };
    struct position *state = memory;
    *done = state->at == state->count;
    if (*done) {
        return ERR_OK;
    }
    size_t count;
    const struct parser_keyword *word = &parser_keywords(&count)[state->at++];
    values[0] = virtual__text(word->word);
    values[1] = datum_int(classes[word->class].code);
    values[2] = datum_bool(word->bare_label);
    values[3] = virtual__text(classes[word->class].text);
    values[4] = virtual__text(word->bare_label ? "can be bare label" : "requires AS");
    return ERR_OK;
}

static const struct set_function keywords = {
    .state_size = sizeof(struct position),
    .start = keywords_start,
    .next = keywords_next,
    .column_count = 5,
    .column_names = (const char *const[]){"word", "catcode", "barelabel", "catdesc", "baredesc"},
    .column_types = (const oid_t[]){TYPE_TEXT, TYPE_CHAR, TYPE_BOOL, TYPE_TEXT, TYPE_TEXT},
};

static enum err
elements_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    (void)count;
    struct position *state = memory;
    if (!args[0].null) {
        state->count = array_elements(eval->arena, args[0], &state->elements);
    }
    return ERR_OK;
}

/* "name=value" each. */
static enum err
options_next(struct eval *eval, void *memory, struct datum *values, bool *done)
{
    (void)eval;
    struct position *state = memory;
    *done = state->at == state->count;
    if (*done) {
        return ERR_OK;
    }
    struct datum option = state->elements[state->at++];
    values[0] = option;
    values[1] = datum_null();
    const uint8_t *equal = option.null ? NULL : memchr(option.p, '=', option.size);
    if (equal != NULL) {
        size_t size = (size_t)(equal - option.p);
        values[0] = datum_bytes(option.p, size);
        values[1] = datum_bytes(equal + 1, option.size - size - 1);
    }
    return ERR_OK;
}

static const struct set_function options = {
    .state_size = sizeof(struct position),
    .start = elements_start,
    .next = options_next,
    .column_count = 2,
    .column_names = (const char *const[]){"option_name", "option_value"},
    .column_types = (const oid_t[]){TYPE_TEXT, TYPE_TEXT},
};

/* An element and its place from 1. */
static enum err
expand_next(struct eval *eval, void *memory, struct datum *values, bool *done)
{
    (void)eval;
    struct position *state = memory;
    *done = state->at == state->count;
    if (!*done) {
        values[0] = state->elements[state->at++];
        values[1] = datum_int((int64_t)state->at);
    }
    return ERR_OK;
}

/* Partitions: there are none. */
static enum err
none_start(struct eval *eval, void *state, const struct datum *args, int count)
{
    (void)eval;
    (void)state;
    (void)args;
    (void)count;
    return ERR_OK;
}

static enum err
none_next(struct eval *eval, void *state, struct datum *values, bool *done)
{
    (void)eval;
    (void)state;
    (void)values;
    *done = true;
    return ERR_OK;
}

static const struct set_function none = {.state_size = 1, .start = none_start, .next = none_next};

static const struct set_function expand = {
    .state_size = sizeof(struct position),
    .start = elements_start,
    .next = expand_next,
    .column_count = 2,
    .column_names = (const char *const[]){"x", "n"},
    .column_types = (const oid_t[]){TYPE_INT2, TYPE_INT4},
};

/* ---- the table ------------------------------------------------------------------------------- */

#define STABLE (FUNCTION_STRICT | FUNCTION_STABLE)
#define F0(name, result, call)                               \
    {                                                        \
        name, 0, result, 0, 0, STABLE, {0}, call, NULL, NULL \
    }
#define F1(name, result, a, call)                            \
    {                                                        \
        name, 0, result, 1, 1, STABLE, {a}, call, NULL, NULL \
    }
#define F2(name, result, a, b, call)                            \
    {                                                           \
        name, 0, result, 2, 2, STABLE, {a, b}, call, NULL, NULL \
    }
#define F3(name, result, a, b, c, call)                            \
    {                                                              \
        name, 0, result, 3, 3, STABLE, {a, b, c}, call, NULL, NULL \
    }
/* Functions and types are everybody's. */
#define PRIVILEGE(name)                                                   \
    F2(name, TYPE_BOOL, TYPE_OID, TYPE_TEXT, always_true),                \
        F2(name, TYPE_BOOL, TYPE_TEXT, TYPE_TEXT, always_true),           \
        F3(name, TYPE_BOOL, TYPE_OID, TYPE_OID, TYPE_TEXT, always_true),  \
        F3(name, TYPE_BOOL, TYPE_NAME, TYPE_OID, TYPE_TEXT, always_true), \
        F3(name, TYPE_BOOL, TYPE_NAME, TYPE_TEXT, TYPE_TEXT, always_true)

static const struct function functions[] = {
    {"pg_get_keywords", 1686, TYPE_RECORD, 0, 0, FUNCTION_SET | FUNCTION_STABLE, {0}, NULL, NULL,
        &keywords},
    {"pg_options_to_table", 2289, TYPE_RECORD, 1, 1, FUNCTION_SET | FUNCTION_STRICT,
        {TYPE_TEXT_ARRAY}, NULL, NULL, &options},
    {"pg_partition_ancestors", 3425, TYPE_REGCLASS, 1, 1, FUNCTION_SET | FUNCTION_STRICT,
        {TYPE_REGCLASS}, NULL, NULL, &none},
    {"_pg_expandarray", 0, TYPE_RECORD, 1, 1, FUNCTION_SET | FUNCTION_STRICT, {TYPE_INT2VECTOR},
        NULL, NULL, &expand},
    F1("to_regclass", TYPE_REGCLASS, TYPE_TEXT, to_regclass),
    F1("to_regproc", TYPE_REGPROC, TYPE_TEXT, to_regproc),
    F1("to_regprocedure", TYPE_REGPROCEDURE, TYPE_TEXT, to_regprocedure),
    F1("to_regoper", TYPE_REGOPER, TYPE_TEXT, to_regoper),
    F1("to_regoperator", TYPE_REGOPERATOR, TYPE_TEXT, to_regoperator),
    F1("to_regrole", TYPE_REGROLE, TYPE_TEXT, to_regrole),
    F1("to_regtype", TYPE_REGTYPE, TYPE_TEXT, to_regtype),
    F1("to_regnamespace", TYPE_REGNAMESPACE, TYPE_TEXT, to_regnamespace),
    {"current_schema", 1402, TYPE_NAME, 0, 0, STABLE, {0}, current_schema, NULL, NULL},
    {"current_schemas", 1403, 1003, 1, 1, STABLE, {TYPE_BOOL}, current_schemas, NULL, NULL},
    F1("pg_table_is_visible", TYPE_BOOL, TYPE_OID, table_is_visible),
    F1("pg_type_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_function_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_operator_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_collation_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_opclass_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_opfamily_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_conversion_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_statistics_obj_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_ts_config_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_ts_dict_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_ts_parser_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    F1("pg_ts_template_is_visible", TYPE_BOOL, TYPE_OID, always_true),
    PRIVILEGE("has_function_privilege"),
    PRIVILEGE("has_language_privilege"),
    PRIVILEGE("has_type_privilege"),
    PRIVILEGE("has_tablespace_privilege"),
    F1("row_security_active", TYPE_BOOL, TYPE_OID, always_false),
    F1("pg_relation_is_publishable", TYPE_BOOL, TYPE_REGCLASS, is_publishable),
    F1("pg_is_other_temp_schema", TYPE_BOOL, TYPE_OID, always_false),
    F0("pg_my_temp_schema", TYPE_OID, zero),
    F0("pg_is_in_recovery", TYPE_BOOL, always_false),
    F0("pg_jit_available", TYPE_BOOL, always_false),
    {"format_type", 1081, TYPE_TEXT, 2, 2, FUNCTION_STABLE, {TYPE_OID, TYPE_INT4}, format_type,
        NULL, NULL},
    F1("pg_get_indexdef", TYPE_TEXT, TYPE_OID, get_indexdef),
    F3("pg_get_indexdef", TYPE_TEXT, TYPE_OID, TYPE_INT4, TYPE_BOOL, get_indexdef),
    F1("pg_get_constraintdef", TYPE_TEXT, TYPE_OID, get_constraintdef),
    F2("pg_get_constraintdef", TYPE_TEXT, TYPE_OID, TYPE_BOOL, get_constraintdef),
    F2("pg_get_expr", TYPE_TEXT, TYPE_TEXT, TYPE_OID, get_expr),
    F3("pg_get_expr", TYPE_TEXT, TYPE_TEXT, TYPE_OID, TYPE_BOOL, get_expr),
    F1("pg_get_viewdef", TYPE_TEXT, TYPE_OID, get_viewdef),
    F2("pg_get_viewdef", TYPE_TEXT, TYPE_OID, TYPE_BOOL, get_viewdef),
    F1("pg_get_ruledef", TYPE_TEXT, TYPE_OID, always_null),
    F2("pg_get_ruledef", TYPE_TEXT, TYPE_OID, TYPE_BOOL, always_null),
    F1("pg_get_triggerdef", TYPE_TEXT, TYPE_OID, always_null),
    F2("pg_get_triggerdef", TYPE_TEXT, TYPE_OID, TYPE_BOOL, always_null),
    F1("pg_get_partkeydef", TYPE_TEXT, TYPE_OID, always_null),
    F1("pg_get_statisticsobjdef", TYPE_TEXT, TYPE_OID, always_null),
    F1("pg_get_statisticsobjdef_columns", TYPE_TEXT, TYPE_OID, always_null),
    F1("pg_get_function_sqlbody", TYPE_TEXT, TYPE_OID, always_null),
    F1("pg_get_function_arguments", TYPE_TEXT, TYPE_OID, function_arguments),
    F1("pg_get_function_identity_arguments", TYPE_TEXT, TYPE_OID, function_identity_arguments),
    F1("pg_get_functiondef", TYPE_TEXT, TYPE_OID, function_definition),
    F1("pg_get_function_result", TYPE_TEXT, TYPE_OID, function_result),
    F1("pg_get_userbyid", TYPE_NAME, TYPE_OID, get_userbyid),
    F1("obj_description", TYPE_TEXT, TYPE_OID, obj_description),
    F2("obj_description", TYPE_TEXT, TYPE_OID, TYPE_NAME, obj_description),
    F2("shobj_description", TYPE_TEXT, TYPE_OID, TYPE_NAME, obj_description),
    F2("col_description", TYPE_TEXT, TYPE_OID, TYPE_INT4, col_description),
    F1("pg_table_size", TYPE_INT8, TYPE_REGCLASS, table_size),
    F1("pg_relation_size", TYPE_INT8, TYPE_REGCLASS, table_size),
    F2("pg_relation_size", TYPE_INT8, TYPE_REGCLASS, TYPE_TEXT, relation_size_fork),
    F1("pg_indexes_size", TYPE_INT8, TYPE_REGCLASS, indexes_size),
    F1("pg_total_relation_size", TYPE_INT8, TYPE_REGCLASS, total_relation_size),
    F1("pg_database_size", TYPE_INT8, TYPE_OID, database_size),
    F1("pg_database_size", TYPE_INT8, TYPE_NAME, database_size_by_name),
    F1("pg_tablespace_location", TYPE_TEXT, TYPE_OID, empty_text),
    F1("pg_size_pretty", TYPE_TEXT, TYPE_INT8, size_pretty),
    F1("pg_size_pretty", TYPE_TEXT, TYPE_NUMERIC, size_pretty_numeric),
    F1("pg_encoding_to_char", TYPE_NAME, TYPE_INT4, encoding_to_char),
    F1("pg_char_to_encoding", TYPE_INT4, TYPE_NAME, char_to_encoding),
    F0("getdatabaseencoding", TYPE_NAME, encoding),
    F0("pg_client_encoding", TYPE_NAME, encoding),
};

/* The functions behind types' text and binary forms: drivers tell arrays by them. Nobody can call
 * them: their arguments' types do not exist in SQL. */
#define TYPE_FUNCTION(name, oid, result)                                                          \
    {                                                                                             \
        name, oid, result, 1, 1, FUNCTION_STRICT | FUNCTION_INTERNAL, {TYPE_UNKNOWN}, NULL, NULL, \
            NULL                                                                                  \
    }
#define TYPE_FUNCTIONS(type, in, in_name, out, out_name, receive, receive_name, send, send_name) \
    TYPE_FUNCTION(in_name, in, type), TYPE_FUNCTION(out_name, out, TYPE_UNKNOWN),                \
        TYPE_FUNCTION(receive_name, receive, type), TYPE_FUNCTION(send_name, send, TYPE_BYTEA),
static const struct function type_functions[] = {
#include "sql/catalog/type_functions.inc"
};
#undef TYPE_FUNCTIONS

void
catalog__register_functions(void)
{
    function_register(type_functions, sizeof type_functions / sizeof type_functions[0]);
    value_catalog_hooks = &hooks;
    function_register(functions, sizeof functions / sizeof functions[0]);
    catalog__register_sequence_functions();
}
