/* sql/value/type_missing.h - types of PostgreSQL 15 that are not here: to be refused by name. */
#ifndef SQL_VALUE_TYPE_MISSING_H
#define SQL_VALUE_TYPE_MISSING_H

#include <stdbool.h>

/* Is it called so in PostgreSQL, as pg_type has it? */
bool type_is_missing(const char *name);

#endif /* SQL_VALUE_TYPE_MISSING_H */
