/* sql/value/misc.c - session information, uuids, digests, series, booleans. */
#include <openssl/evp.h>
#include <stdio.h>

#include "base/assert.h"
#include "sql/value/value_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

/* ---- who and where
 * ------------------------------------------------------------------------------- */

#define SESSION_TEXT(name, expr)                                         \
    FN(name)                                                             \
    {                                                                    \
        (void)args;                                                      \
        UNUSED_COUNT;                                                    \
        const char *text = (expr);                                       \
        *result = text == NULL ? datum_null() : value__text(eval, text); \
        return ERR_OK;                                                   \
    }
SESSION_TEXT(current_user_, eval->env->user)
SESSION_TEXT(session_user_, eval->env->session_user)
SESSION_TEXT(current_database_, eval->env->database)
SESSION_TEXT(version_, "PostgreSQL 15.0 (Tusk 0.1.0) on x86_64-linux-gnu, 64-bit")

FN(backend_pid)
{
    (void)args;
    UNUSED_COUNT;
    *result = datum_int(eval->env->backend_pid);
    return ERR_OK;
}

/* Bind adds the second argument: the type of the first. */
FN(type_of)
{
    (void)eval;
    (void)count;
    *result = args[1];
    return ERR_OK;
}

FN(pg_sleep)
{
    UNUSED_COUNT;
    int64_t until =
        world_clock_us(eval->env->world) + (int64_t)(args[0].f < 0 ? 0 : args[0].f * 1e6);
    while (world_clock_us(eval->env->world) < until) {
        TRY(task_interrupted(eval->task, eval->diag));
        task_park(eval->task, until);
    }
    *result = datum_int(0);
    return ERR_OK;
}

FN(random_uuid)
{
    (void)args;
    UNUSED_COUNT;
    uint8_t bytes[16];
    world_random_bytes(eval->env->world, bytes, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    *result = value__bytes(eval, bytes, sizeof bytes);
    return ERR_OK;
}

/* Bind adds the second argument: the type of the first. What it would take within a row. */
FN(column_size)
{
    (void)eval;
    (void)count;
    const struct type *type = type_by_oid((oid_t)args[1].i);
    if (args[0].null || type == NULL) {
        *result = datum_null();
        return ERR_OK;
    }
    *result = datum_int(type->size >= 0 ? type->size : (int64_t)args[0].size + 4);
    return ERR_OK;
}

FN(trigger_depth)
{
    (void)eval;
    (void)args;
    UNUSED_COUNT;
    *result = datum_int(0); /* there are no triggers */
    return ERR_OK;
}

/* ---- parse_ident ----------------------------------------------------------------------------- */

static enum err
not_an_identifier(struct eval *eval, struct datum text, const char *detail)
{
    enum err err = diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
        "string is not a valid identifier: \"%.*s\"", (int)(text.size > 200 ? 200 : text.size),
        (const char *)text.p);
    if (detail != NULL) {
        diag_detail(eval->diag, "%s", detail);
    }
    return err;
}

static bool
is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
starts_identifier(uint8_t c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static bool
goes_on_identifier(uint8_t c)
{
    return starts_identifier(c) || (c >= '0' && c <= '9') || c == '$';
}

/* The identifier at *at, which is behind it then. */
static enum err
take_identifier(
    struct eval *eval, struct datum text, uint32_t *at, bool behind_point, struct datum *part)
{
    struct buffer to = {0};
    uint32_t start = *at;
    if (*at < text.size && text.p[*at] == '"') {
        uint32_t i = *at + 1;
        for (; i < text.size; i++) {
            if (text.p[i] == '"' && (i + 1 == text.size || text.p[i + 1] != '"')) {
                break;
            }
            i += text.p[i] == '"';
            buffer_add_u8(&to, text.p[i]);
        }
        if (i >= text.size || to.size == 0) {
            buffer_destroy(&to);
            return not_an_identifier(eval, text,
                i >= text.size ? "String has unclosed double quotes."
                               : "Quoted identifier must not be empty.");
        }
        *at = i + 1;
    } else if (*at < text.size && starts_identifier(text.p[*at])) {
        for (; *at < text.size && goes_on_identifier(text.p[*at]); ++*at) {
            uint8_t c = text.p[*at];
            buffer_add_u8(&to, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
        }
    }
    if (*at == start) {
        bool point = *at < text.size && text.p[*at] == '.';
        return not_an_identifier(eval, text,
            point          ? "No valid identifier before \".\"."
            : behind_point ? "No valid identifier after \".\"."
                           : NULL);
    }
    *part = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return ERR_OK;
}

FN(parse_identifier)
{
    bool strict = count < 2 || args[1].i != 0;
    struct datum text = args[0];
    struct datum *parts = arena_array(eval->arena, text.size / 2 + 1, sizeof *parts);
    uint32_t used = 0, at = 0;
    for (bool behind_point = false;; behind_point = true) {
        for (; at < text.size && is_blank(text.p[at]); at++) {
        }
        TRY(take_identifier(eval, text, &at, behind_point, &parts[used]));
        used++;
        for (; at < text.size && is_blank(text.p[at]); at++) {
        }
        if (at == text.size || text.p[at] != '.') {
            break;
        }
        at++;
    }
    if (at < text.size && strict) {
        return not_an_identifier(eval, text, NULL);
    }
    *result = array_make(eval->arena, TYPE_TEXT, false, parts, used);
    return ERR_OK;
}

/* ---- digests
 * ----------------------------------------------------------------------------------------- */

static enum err
digest(struct eval *eval, const EVP_MD *kind, struct datum value, bool hex, struct datum *result)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(value.p, value.size, bytes, &size, kind, NULL) != 1) {
        return diag_set(eval->diag, ERR_INTERNAL, "could not compute a digest");
    }
    if (!hex) {
        *result = value__bytes(eval, bytes, size);
        return ERR_OK;
    }
    char text[2 * EVP_MAX_MD_SIZE];
    for (unsigned i = 0; i < size; i++) {
        static const char digits[] = "0123456789abcdef";
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    *result = value__bytes(eval, text, 2 * (size_t)size);
    return ERR_OK;
}

FN(md5_)
{
    UNUSED_COUNT;
    return digest(eval, EVP_md5(), args[0], true, result);
}

FN(sha256_)
{
    UNUSED_COUNT;
    return digest(eval, EVP_sha256(), args[0], false, result);
}

#define SHA(bits)                                                     \
    FN(sha##bits)                                                     \
    {                                                                 \
        UNUSED_COUNT;                                                 \
        return digest(eval, EVP_sha##bits(), args[0], false, result); \
    }
SHA(224)
SHA(384)
SHA(512)

/* ---- generate_series
 * ----------------------------------------------------------------------------------- */

struct series {
    int64_t at, end, step;
    bool done;
};

static enum err
series_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    struct series *state = memory;
    state->done = args[0].null || args[1].null || (count > 2 && args[2].null);
    if (state->done) {
        return ERR_OK;
    }
    *state = (struct series){.at = args[0].i, .end = args[1].i, .step = count > 2 ? args[2].i : 1};
    if (state->step == 0) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "step size cannot equal zero");
    }
    return ERR_OK;
}

static enum err
series_next(struct eval *eval, void *memory, struct datum *value, bool *done)
{
    (void)eval;
    struct series *state = memory;
    *done = state->done || (state->step > 0 ? state->at > state->end : state->at < state->end);
    if (!*done) {
        *value = datum_int(state->at);
        state->done = __builtin_add_overflow(state->at, state->step, &state->at);
    }
    return ERR_OK;
}

static const struct set_function int_series = {
    .state_size = sizeof(struct series), .start = series_start, .next = series_next};

struct numeric_series {
    struct datum at, end, step;
    const struct function *add;
    struct arena *arena; /* of the state's life: the first call's */
    /* `at` is in them by turns: the value that was given stays for a while. */
    uint8_t *rooms[2];
    uint32_t room_sizes[2];
    int turn;
    bool done;
    int sign;
};

static const struct function *
numeric_operator(const char *name)
{
    size_t many = 0;
    const struct operator_def *def = operator_by_name(name, &many);
    for (size_t i = 0; i < many; i++) {
        if (def[i].left == TYPE_NUMERIC && def[i].right == TYPE_NUMERIC) {
            return def[i].function;
        }
    }
    ASSERT(false);
    return NULL;
}

static enum err
numeric_series_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    struct numeric_series *state = memory;
    state->done = args[0].null || args[1].null || (count > 2 && args[2].null);
    if (state->done) {
        return ERR_OK;
    }
    struct datum one = numeric__from_int(eval->arena, 1);
    struct datum zero = numeric__from_int(eval->arena, 0);
    state->at = args[0];
    state->end = args[1];
    state->step = count > 2 ? args[2] : one;
    state->add = numeric_operator("+");
    state->arena = eval->arena;
    state->sign = numeric__compare(state->step, zero);
    return state->sign == 0
               ? diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "step size cannot equal zero")
               : ERR_OK;
}

static enum err
numeric_series_next(struct eval *eval, void *memory, struct datum *value, bool *done)
{
    struct numeric_series *state = memory;
    *done = state->done || numeric__compare(state->at, state->end) * state->sign > 0;
    if (*done) {
        return ERR_OK;
    }
    *value = state->at;
    struct datum args[2] = {state->at, state->step};
    struct datum sum;
    TRY(state->add->call(eval, args, 2, &sum));
    state->turn = 1 - state->turn;
    if (state->room_sizes[state->turn] < sum.size) {
        state->room_sizes[state->turn] = 2 * sum.size;
        state->rooms[state->turn] = arena_alloc(state->arena, 2 * (size_t)sum.size);
    }
    memcpy(state->rooms[state->turn], sum.p, sum.size);
    state->at = datum_bytes(state->rooms[state->turn], sum.size);
    return ERR_OK;
}

static const struct set_function numeric_series_set = {.state_size = sizeof(struct numeric_series),
    .start = numeric_series_start,
    .next = numeric_series_next};

#define S        FUNCTION_STRICT
#define STABLE   (FUNCTION_STRICT | FUNCTION_STABLE)
#define VOLATILE (FUNCTION_STRICT | FUNCTION_VOLATILE)
#define SET      FUNCTION_SET
#define NONE(name, result, flags, call)                     \
    {                                                       \
        name, 0, result, 0, 0, flags, {0}, call, NULL, NULL \
    }

static const struct function functions[] = {
    NONE("current_user", TYPE_NAME, STABLE, current_user_),
    NONE("current_role", TYPE_NAME, STABLE, current_user_),
    NONE("user", TYPE_NAME, STABLE, current_user_),
    NONE("session_user", TYPE_NAME, STABLE, session_user_),
    NONE("current_database", TYPE_NAME, STABLE, current_database_),
    NONE("current_catalog", TYPE_NAME, STABLE, current_database_),
    NONE("version", TYPE_TEXT, STABLE, version_),
    NONE("pg_backend_pid", TYPE_INT4, STABLE, backend_pid),
    NONE("gen_random_uuid", TYPE_UUID, VOLATILE, random_uuid),
    {"pg_typeof", 1619, TYPE_REGTYPE, 2, 1, FUNCTION_STABLE, {TYPE_ANY, TYPE_OID}, type_of, NULL,
        NULL},
    {"pg_column_size", 1269, TYPE_INT4, 2, 1, FUNCTION_STABLE, {TYPE_ANY, TYPE_OID}, column_size,
        NULL, NULL},
    {"pg_trigger_depth", 3163, TYPE_INT4, 0, 0, STABLE, {0}, trigger_depth, NULL, NULL},
    NONE("getpgusername", TYPE_NAME, STABLE, current_user_),
    {"parse_ident", 1268, TYPE_TEXT_ARRAY, 1, 1, S, {TYPE_TEXT}, parse_identifier, NULL, NULL},
    {"parse_ident", 1268, TYPE_TEXT_ARRAY, 2, 2, S, {TYPE_TEXT, TYPE_BOOL}, parse_identifier, NULL,
        NULL},
    {"pg_sleep", 0, TYPE_VOID, 1, 1, VOLATILE, {TYPE_FLOAT8}, pg_sleep, NULL, NULL},
    {"md5", 0, TYPE_TEXT, 1, 1, S, {TYPE_TEXT}, md5_, NULL, NULL},
    {"md5", 0, TYPE_TEXT, 1, 1, S, {TYPE_BYTEA}, md5_, NULL, NULL},
    {"sha256", 0, TYPE_BYTEA, 1, 1, S, {TYPE_BYTEA}, sha256_, NULL, NULL},
    {"sha224", 3419, TYPE_BYTEA, 1, 1, S, {TYPE_BYTEA}, sha224, NULL, NULL},
    {"sha384", 3421, TYPE_BYTEA, 1, 1, S, {TYPE_BYTEA}, sha384, NULL, NULL},
    {"sha512", 3422, TYPE_BYTEA, 1, 1, S, {TYPE_BYTEA}, sha512, NULL, NULL},
    {"generate_series", 0, TYPE_INT4, 2, 2, SET, {TYPE_INT4, TYPE_INT4}, NULL, NULL, &int_series},
    {"generate_series", 0, TYPE_INT4, 3, 3, SET, {TYPE_INT4, TYPE_INT4, TYPE_INT4}, NULL, NULL,
        &int_series},
    {"generate_series", 0, TYPE_INT8, 2, 2, SET, {TYPE_INT8, TYPE_INT8}, NULL, NULL, &int_series},
    {"generate_series", 0, TYPE_INT8, 3, 3, SET, {TYPE_INT8, TYPE_INT8, TYPE_INT8}, NULL, NULL,
        &int_series},
    {"generate_series", 0, TYPE_NUMERIC, 2, 2, SET, {TYPE_NUMERIC, TYPE_NUMERIC}, NULL, NULL,
        &numeric_series_set},
    {"generate_series", 0, TYPE_NUMERIC, 3, 3, SET, {TYPE_NUMERIC, TYPE_NUMERIC, TYPE_NUMERIC},
        NULL, NULL, &numeric_series_set},
};

const struct function_rows misc_rows = {ROWS(functions), NULL, 0, NULL, 0};
