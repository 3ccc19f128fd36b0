/* sql/value/datetime.c - dates and times. */
#include "sql/value/value_internal.h"

enum err
datetime__input(
    struct eval *eval, oid_t type, int32_t typmod, struct slice text, struct datum *value)
{
    (void)typmod;
    (void)text;
    (void)value;
    return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "values of type %s are not supported",
        type_by_oid(type)->sql_name);
}

void
datetime__output(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to)
{
    (void)env;
    (void)type;
    buffer_printf(to, "%lld", (long long)value.i);
}

const struct function_rows datetime_rows = {NULL, 0, NULL, 0, NULL, 0};
