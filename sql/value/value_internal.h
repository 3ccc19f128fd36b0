/* sql/value/value_internal.h - shared by the files of sql/value. */
#ifndef SQL_VALUE_VALUE_INTERNAL_H
#define SQL_VALUE_VALUE_INTERNAL_H

#include "sql/value/value.h"

/* 22P02 in PostgreSQL's words. */
enum err value__invalid(struct eval *eval, const char *type, struct slice text);
enum err value__out_of_range(struct eval *eval, const char *type);
/* Bytes into eval->arena. */
struct datum value__bytes(struct eval *eval, const void *bytes, size_t size);
struct datum value__text(struct eval *eval, const char *text);
static inline struct slice
datum_slice(struct datum value)
{
    return slice_of(value.p, value.size);
}

/* An OID that shows itself by name: compared, kept and sent as oid. */
static inline bool
value__is_reg(oid_t type)
{
    return type == TYPE_REGCLASS || type == TYPE_REGTYPE || type == TYPE_REGPROC ||
           type == TYPE_REGNAMESPACE || type == TYPE_REGROLE || type == TYPE_REGPROCEDURE ||
           type == TYPE_REGOPER || type == TYPE_REGOPERATOR;
}

/* Without blanks at either end. */
struct slice value__trim(struct slice text);
size_t utf8_length(struct slice text); /* characters */
/* The byte offset of the n-th character (or the end). */
size_t utf8_offset(struct slice text, size_t characters);

/* ---- floats ---- */
enum err float__input(struct eval *eval, bool single, struct slice text, double *value);
void float__output(double value, bool single, int extra_digits, struct buffer *to);

/* ---- compare.c ---- */
/* The size of a key's payload that begins here; SIZE_MAX if it is not whole. flip: 0xFF if
 * inverted. */
size_t value__key_size(struct slice key, oid_t type, uint8_t flip);

/* ---- row.c ---- */
/* A value that is not null in the bytes a row would hold. load points into them. */
void value__store(oid_t type, struct datum value, struct buffer *to);
struct datum value__load(oid_t type, struct slice bytes);

/* ---- numeric.c ---- */
enum err numeric__input(struct eval *eval, int32_t typmod, struct slice text, struct datum *value);
void numeric__output(struct datum value, struct buffer *to);
enum err numeric__receive(
    struct eval *eval, int32_t typmod, struct slice bytes, struct datum *value);
void numeric__send(struct datum value, struct buffer *to);
int numeric__compare(struct datum a, struct datum b);
uint64_t numeric__hash(struct datum value, uint64_t seed);
void numeric__key_encode(struct buffer *key, struct datum value);
enum err numeric__key_decode(
    struct arena *arena, struct slice *key, struct datum *value, struct diag *diag);
struct datum numeric__from_int(struct arena *arena, int64_t value);
struct datum numeric__from_int128(struct arena *arena, __int128 value, int scale);
enum err numeric__to_int(struct eval *eval, struct datum value, int64_t min, int64_t max,
    const char *type, int64_t *result);
enum err numeric__from_float(struct eval *eval, double value, bool single, struct datum *result);
double numeric__to_float(struct datum value);
enum err numeric__apply_typmod(
    struct eval *eval, int32_t typmod, struct datum value, struct datum *result);
enum err numeric__sum(struct eval *eval, struct datum a, struct datum b, struct datum *result);
enum err numeric__difference(
    struct eval *eval, struct datum a, struct datum b, struct datum *result);
enum err numeric__multiply(struct eval *eval, struct datum a, struct datum b, struct datum *result);
enum err numeric__divide(struct eval *eval, struct datum a, struct datum b, struct datum *result);
/* Of a finite value: rounded to a scale; "1.23e+04" with so many digits behind the point. */
struct datum numeric__at_scale(struct arena *arena, struct datum value, int scale);
const char *numeric__scientific(struct eval *eval, struct datum value, int digits);
bool numeric__is_int(struct datum value, int64_t *mantissa, int *scale); /* fits int64 mantissa */

/* ---- datetime.c ---- */
enum err datetime__input(
    struct eval *eval, oid_t type, int32_t typmod, struct slice text, struct datum *value);
/* Whatever the session's DateStyle says. */
void datetime__output_iso(
    const struct eval_env *env, oid_t type, struct datum value, struct buffer *to);
void datetime__output(
    const struct eval_env *env, oid_t type, struct datum value, struct buffer *to);
enum err interval__datum_typmod(
    struct eval *eval, int32_t typmod, struct datum value, struct datum *result);

/* ---- function tables ---- */

/* An operator and the function behind it. */
struct operator_row {
    const char *name;
    const char *function;
    oid_t left, right, result;
    function_call *call;
    const char *commutator, *negator;
    int flags; /* added to FUNCTION_STRICT */
};

/* The binary operator of these very types. */
enum err value__call_operator(struct eval *eval, const char *name, oid_t left, oid_t right,
    const struct datum *args, struct datum *result);

struct cast_row {
    oid_t from, to;
    enum cast_context context;
    function_call *call; /* NULL: the same bytes */
};

struct function_rows {
    const struct function *functions;
    size_t function_count;
    const struct operator_row *operators;
    size_t operator_count;
    const struct cast_row *casts;
    size_t cast_count;
};

extern const struct function_rows arithmetic_rows, compare_rows, numeric_rows, numeric_math_rows,
    float_math_rows, text_rows, datetime_rows, datetime_extract_rows, datetime_format_rows,
    number_format_rows, regex_rows, string_rows, bytes_rows, aggregate_rows, spread_rows, misc_rows,
    array_rows, array_part_rows, network_rows, json_rows, json_build_rows, record_rows,
    ordered_rows, json_record_rows;

#define ROWS(array)  (array), sizeof(array) / sizeof((array)[0])
#define UNUSED_COUNT (void)count

#endif /* SQL_VALUE_VALUE_INTERNAL_H */
