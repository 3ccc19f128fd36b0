/* sql/value/reg.h - regclass, regproc and their kin as text, for the files of sql/value. */
#ifndef SQL_VALUE_REG_H
#define SQL_VALUE_REG_H

#include "sql/value/value_internal.h"

enum err reg__input(struct eval *eval, oid_t type, struct slice text, struct datum *value);
void reg__output(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to);

#endif /* SQL_VALUE_REG_H */
