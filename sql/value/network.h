/* sql/value/network.h - inet and cidr, for the files of sql/value. */
#ifndef SQL_VALUE_NETWORK_H
#define SQL_VALUE_NETWORK_H

#include "sql/value/value_internal.h"

enum err network__input(struct eval *eval, oid_t type, struct slice text, struct datum *value);
void network__output(oid_t type, struct datum value, struct buffer *to);
enum err network__receive(struct eval *eval, oid_t type, struct slice bytes, struct datum *value);
void network__send(oid_t type, struct datum value, struct buffer *to);

#endif /* SQL_VALUE_NETWORK_H */
