/* sql/value/record.h - rows as values, for the files of sql/value. The form is in record.c. */
#ifndef SQL_VALUE_RECORD_H
#define SQL_VALUE_RECORD_H

#include "sql/value/value_internal.h"

struct record_reader {
    uint32_t count, at;
    const uint8_t *heads, *bytes;
};

struct record_column {
    oid_t type;
    struct slice name;
    struct datum value;
};

void record__open(struct datum record, struct record_reader *reader);
/* False at the end. What it gives points into the record. */
bool record__next(struct record_reader *reader, struct record_column *column);

void record__output(const struct eval_env *env, struct datum record, struct buffer *to);
void record__send(const struct eval_env *env, struct datum record, struct buffer *to);
int record__compare(struct datum a, struct datum b);
uint64_t record__hash(struct datum record, uint64_t seed);

#endif /* SQL_VALUE_RECORD_H */
