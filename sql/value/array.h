/* sql/value/array.h - arrays, for the files of sql/value. */
#ifndef SQL_VALUE_ARRAY_H
#define SQL_VALUE_ARRAY_H

#include "sql/value/value_internal.h"

enum {
    ARRAY_DIMENSIONS_MAX = 6,
};

struct array_reader {
    oid_t element;
    uint32_t dimensions;
    int32_t sizes[ARRAY_DIMENSIONS_MAX], lower[ARRAY_DIMENSIONS_MAX];
    uint32_t count, at;
    const uint8_t *lengths, *bytes;
};

/* Returns the number of elements. */
uint32_t array__open(struct datum array, struct array_reader *reader);
/* False at the end. The element points into the array. */
bool array__next(struct array_reader *reader, struct datum *element);

/* Elements collected in an arena; then array__make. dimensions 0: a plain list. */
struct array_maker {
    oid_t element;
    bool from_zero; /* of a plain list: the lower bound is 0 */
    uint32_t dimensions;
    int32_t sizes[ARRAY_DIMENSIONS_MAX], lower[ARRAY_DIMENSIONS_MAX];
    uint32_t count, capacity;
    struct datum *elements;
};

void array__add(struct array_maker *maker, struct arena *arena, struct datum element);
struct datum array__make(struct arena *arena, const struct array_maker *maker);

enum err array__input(
    struct eval *eval, oid_t type, int32_t typmod, struct slice text, struct datum *value);
void array__output(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to);
enum err array__receive(
    struct eval *eval, oid_t type, int32_t typmod, struct slice bytes, struct datum *value);
void array__send(const struct eval_env *env, struct datum value, struct buffer *to);
enum err array__apply_typmod(struct eval *eval, int32_t typmod, bool explicit_cast,
    struct datum value, struct datum *result);
int array__compare(struct datum a, struct datum b);
uint64_t array__hash(struct datum value, uint64_t seed);

#endif /* SQL_VALUE_ARRAY_H */
