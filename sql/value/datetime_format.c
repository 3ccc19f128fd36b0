/* sql/value/datetime_format.c - extract, date_trunc, to_char and their kin. */
#include "sql/value/datetime_internal.h"

const struct function_rows datetime_format_rows = {NULL, 0, NULL, 0, NULL, 0};
