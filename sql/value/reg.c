/*
 * sql/value/reg.c - OIDs that show themselves by name: regclass, regproc, regoperator and their
 * kin.
 *
 * Functions and operators that are built in are known here; what users made, value_catalog_hooks
 * know. A signature, "lower(text)", is compared in its one form: types as format_type shows them,
 * no blanks.
 */
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "sql/value/reg.h"

const struct value_catalog_hooks *value_catalog_hooks;

/* ---- reading --------------------------------------------------------------------------------- */

/* A copy, without the schema that all of these are in. */
static char *
plain_name(struct eval *eval, struct slice name)
{
    static const char schema[] = "pg_catalog.";
    char *text = arena_strndup(eval->arena, (const char *)name.data, name.size);
    return strncmp(text, schema, strlen(schema)) == 0 ? text + strlen(schema) : text;
}

static enum err
ask_hook(struct eval *eval, oid_t type, const char *name, oid_t *oid)
{
    *oid = 0;
    return value_catalog_hooks == NULL
               ? ERR_OK
               : value_catalog_hooks->oid(eval, type, slice_of(name, strlen(name)), oid);
}

static enum err
regproc_input(struct eval *eval, struct slice name, oid_t *oid)
{
    const char *text = arena_strndup(eval->arena, (const char *)name.data, name.size);
    size_t count = 0;
    const struct function *found = function_by_name(plain_name(eval, name), &count);
    *oid = count == 1 ? found->oid : 0;
    if (count == 0) {
        TRY(ask_hook(eval, TYPE_REGPROC, text, oid));
    }
    if (count == 0 && *oid == 0) {
        return diag_set(eval->diag, ERR_UNDEFINED_FUNCTION, "function \"%s\" does not exist", text);
    }
    return count < 2 ? ERR_OK
                     : diag_set(eval->diag, ERR_AMBIGUOUS_FUNCTION,
                           "more than one function named \"%s\"", text);
}

struct signature {
    const char *name;
    oid_t types[FUNCTION_ARGS_MAX]; /* 0: NONE */
    uint32_t count;
    bool more; /* than fit */
};

/* "name(type, type)" in pieces. */
static enum err
read_signature(struct eval *eval, struct slice text, bool none, struct signature *signature)
{
    char *name = plain_name(eval, text);
    char *open = strchr(name, '(');
    *signature = (struct signature){.name = name};
    if (open == NULL) {
        return diag_set(eval->diag, ERR_INVALID_TEXT, "expected a left parenthesis");
    }
    char *close = strrchr(open, ')');
    if (close == NULL || close[1] != '\0') {
        return diag_set(eval->diag, ERR_INVALID_TEXT, "expected a right parenthesis");
    }
    *open = *close = '\0';
    struct slice trimmed = value__trim(slice_of(name, strlen(name)));
    signature->name = arena_strndup(eval->arena, (const char *)trimmed.data, trimmed.size);
    struct slice rest = value__trim(slice_of(open + 1, strlen(open + 1)));
    while (rest.size > 0) {
        uint32_t depth = 0;
        size_t size = 0;
        for (; size < rest.size && (rest.data[size] != ',' || depth > 0); size++) {
            depth += rest.data[size] == '(' ? 1U : 0U;
            depth -= rest.data[size] == ')' && depth > 0 ? 1U : 0U;
        }
        struct slice item = value__trim(slice_of(rest.data, size));
        const char *words = arena_strndup(eval->arena, (const char *)item.data, item.size);
        const struct type *type = NULL;
        if (!none || strcasecmp(words, "none") != 0) {
            type = type_by_sql_name(eval->env, eval->arena, words);
            if (type == NULL) {
                return diag_set(
                    eval->diag, ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist", words);
            }
        }
        if (signature->count < FUNCTION_ARGS_MAX) {
            signature->types[signature->count++] = type == NULL ? 0 : type->oid;
        } else {
            signature->more = true;
        }
        size = size < rest.size ? size + 1 : size;
        rest = slice_of(rest.data + size, rest.size - size);
    }
    return ERR_OK;
}

static void
put_types(const struct eval_env *env, struct arena *arena, const oid_t *types, uint32_t count,
    struct buffer *to)
{
    for (uint32_t i = 0; i < count; i++) {
        buffer_printf(to, "%s%s", i == 0 ? "(" : ",",
            types[i] == 0 ? "NONE" : type_format(env, arena, types[i], -1));
    }
    buffer_add_text(to, count == 0 ? "()" : ")");
}

static const char *
signature_text(struct eval *eval, const struct signature *signature)
{
    struct buffer to = {0};
    buffer_add_text(&to, signature->name);
    put_types(eval->env, eval->arena, signature->types, signature->count, &to);
    const char *text = arena_strndup(eval->arena, (const char *)to.data, to.size);
    buffer_destroy(&to);
    return text;
}

static enum err
regprocedure_input(struct eval *eval, struct slice text, oid_t *oid)
{
    struct signature signature;
    size_t count = 0;
    TRY(read_signature(eval, text, false, &signature));
    const struct function *function = function_by_name(signature.name, &count);
    for (size_t i = 0; i < count && !signature.more; i++) {
        if (function[i].arg_count == signature.count &&
            memcmp(function[i].args, signature.types, signature.count * sizeof(oid_t)) == 0) {
            *oid = function[i].oid;
            return ERR_OK;
        }
    }
    TRY(ask_hook(eval, TYPE_REGPROCEDURE, signature_text(eval, &signature), oid));
    return *oid != 0
               ? ERR_OK
               : diag_set(eval->diag, ERR_UNDEFINED_FUNCTION, "function \"%.*s\" does not exist",
                     (int)text.size, (const char *)text.data);
}

static enum err
regoper_input(struct eval *eval, struct slice name, oid_t *oid)
{
    const char *text = plain_name(eval, name);
    size_t count = 0;
    const struct operator_def *found = operator_by_name(text, &count);
    if (count == 0) {
        return diag_set(eval->diag, ERR_UNDEFINED_FUNCTION, "operator does not exist: %s", text);
    }
    *oid = found->oid;
    return count == 1 ? ERR_OK
                      : diag_set(eval->diag, ERR_AMBIGUOUS_FUNCTION,
                            "more than one operator named %s", text);
}

static enum err
regoperator_input(struct eval *eval, struct slice text, oid_t *oid)
{
    struct signature signature;
    size_t count = 0;
    TRY(read_signature(eval, text, true, &signature));
    if (signature.count == 1) {
        (void)diag_set(eval->diag, ERR_UNDEFINED_PARAMETER, "missing argument");
        if (eval->diag != NULL) {
            diag_hint(eval->diag, "Use NONE to denote the missing argument of a unary operator.");
        }
        return ERR_UNDEFINED_PARAMETER;
    }
    if (signature.count != 2 || signature.more) {
        (void)diag_set(eval->diag, ERR_TOO_MANY_ARGUMENTS, "too many arguments");
        if (eval->diag != NULL) {
            diag_hint(eval->diag, "Provide two argument types for operator.");
        }
        return ERR_TOO_MANY_ARGUMENTS;
    }
    const struct operator_def *def = operator_by_name(signature.name, &count);
    for (size_t i = 0; i < count; i++) {
        if (def[i].left == signature.types[0] && def[i].right == signature.types[1]) {
            *oid = def[i].oid;
            return ERR_OK;
        }
    }
    return diag_set(eval->diag, ERR_UNDEFINED_FUNCTION, "operator does not exist: %.*s",
        (int)text.size, (const char *)text.data);
}

static enum err
regtype_input(struct eval *eval, struct slice name, oid_t *oid)
{
    const char *text = arena_strndup(eval->arena, (const char *)name.data, name.size);
    const struct type *found = type_by_sql_name(eval->env, eval->arena, text);
    if (found == NULL) {
        return diag_set(eval->diag, ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist", text);
    }
    *oid = found->oid;
    return ERR_OK;
}

static enum err
named(struct eval *eval, oid_t type, struct slice name, oid_t *oid)
{
    switch (type) {
    case TYPE_REGTYPE:
        return regtype_input(eval, name, oid);
    case TYPE_REGPROC:
        return regproc_input(eval, name, oid);
    case TYPE_REGPROCEDURE:
        return regprocedure_input(eval, name, oid);
    case TYPE_REGOPER:
        return regoper_input(eval, name, oid);
    case TYPE_REGOPERATOR:
        return regoperator_input(eval, name, oid);
    default:
        return value_catalog_hooks != NULL
                   ? value_catalog_hooks->oid(eval, type, name, oid)
                   : diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED,
                         "input of type %s is not supported", type_by_oid(type)->sql_name);
    }
}

enum err
reg__input(struct eval *eval, oid_t type, struct slice text, struct datum *value)
{
    struct slice name = value__trim(text);
    bool digits = name.size > 0;
    for (size_t i = 0; i < name.size; i++) {
        digits = digits && name.data[i] >= '0' && name.data[i] <= '9';
    }
    if (digits) {
        return type_input(eval, TYPE_OID, -1, text, value);
    }
    oid_t oid = 0;
    bool nothing = name.size == 1 && name.data[0] == '-' && type != TYPE_REGOPER;
    if (!nothing) {
        TRY(named(eval, type, name, &oid));
    }
    *value = datum_int(oid);
    return ERR_OK;
}

/* ---- showing --------------------------------------------------------------------------------- */

static const struct operator_def *
operator_of(oid_t oid)
{
    size_t count;
    const struct operator_def *all = operator_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].oid == oid) {
            return &all[i];
        }
    }
    return NULL;
}

static bool
put_operator(const struct eval_env *env, oid_t oid, bool types, struct buffer *to)
{
    const struct operator_def *def = operator_of(oid);
    if (def == NULL) {
        return false;
    }
    buffer_add_text(to, def->name);
    if (types) {
        struct arena arena;
        arena_create(&arena, "reg");
        put_types(env, &arena, (const oid_t[]){def->left, def->right}, 2, to);
        arena_destroy(&arena);
    }
    return true;
}

static bool
put_function(const struct eval_env *env, oid_t oid, bool types, struct buffer *to)
{
    const struct function *function = function_by_oid(oid);
    if (function == NULL) {
        return false;
    }
    buffer_add_text(to, function->name);
    if (types) {
        struct arena arena;
        arena_create(&arena, "reg");
        put_types(env, &arena, function->args, function->arg_count, to);
        arena_destroy(&arena);
    }
    return true;
}

static bool
put_type(const struct eval_env *env, oid_t oid, struct buffer *to)
{
    if (oid >= TYPE_USER_FIRST && value_catalog_hooks != NULL) {
        value_catalog_hooks->type_name(env, oid & ~(oid_t)1, to);
        buffer_add_text(to, (oid & 1) == 0 ? "" : "[]");
        return true;
    }
    const struct type *found = type_by_oid(oid);
    buffer_add_text(to, found == NULL ? "" : found->sql_name);
    return found != NULL;
}

void
reg__output(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to)
{
    oid_t oid = (oid_t)value.i;
    bool is_operator = type == TYPE_REGOPER || type == TYPE_REGOPERATOR;
    bool is_function = type == TYPE_REGPROC || type == TYPE_REGPROCEDURE;
    bool known =
        oid != 0 && (is_operator      ? put_operator(env, oid, type == TYPE_REGOPERATOR, to)
                        : is_function ? put_function(env, oid, type == TYPE_REGPROCEDURE, to)
                                      : type == TYPE_REGTYPE && put_type(env, oid, to));
    if (!known && !is_operator && type != TYPE_REGTYPE && value_catalog_hooks != NULL) {
        size_t before = to->size;
        value_catalog_hooks->name(env, type, oid, to);
        known = to->size > before;
    }
    if (!known && oid == 0 && !is_operator) {
        buffer_add_u8(to, '-');
    } else if (!known) {
        buffer_add_decimal(to, oid);
    }
}
