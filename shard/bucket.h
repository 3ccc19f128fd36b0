/*
 * shard/bucket.h - to which bucket a value of the shard column belongs.
 *
 * One pure function for whoever asks: the shard that checks a row, the router that sends a
 * statement, the mover that copies a bucket. A value comes as its order-preserving key encoding
 * (sql/value: key_encode of the column's type, flags 0), so that equal values are equal bytes and
 * ranges compare as bytes; collation and type are settled by whoever encodes.
 *
 * HASH: XXH3 of the key modulo the number of buckets. Neither may ever change: rows lie by it. The
 * buckets are many and virtual; what moves between nodes is a bucket, never the function.
 */
#ifndef SHARD_BUCKET_H
#define SHARD_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum shard_kind {
    SHARD_HASH = 'h',
    SHARD_RANGE = 'r',
    SHARD_LIST = 'l',
    SHARD_REPLICATED = '*', /* the whole table on every node; it has no buckets */
};

enum {
    SHARD_BUCKETS_MAX = 65536,
};

/* RANGE: the bucket of values from `key` on, up to the next entry's; the first entry's key is
 * empty. LIST: the bucket of exactly this value. Both ascend by key. A bucket keeps its number when
 * another is split off, so numbers do not ascend. */
struct shard_entry {
    struct slice key;
    uint32_t bucket;
};

struct shard_scheme {
    enum shard_kind kind;
    uint32_t bucket_count; /* numbers are below it */
    size_t entry_count;    /* RANGE, LIST */
    const struct shard_entry *entries;
};

/* False: LIST, and no bucket has this value. Not for SHARD_REPLICATED. */
bool shard_bucket(const struct shard_scheme *scheme, struct slice key, uint32_t *bucket);

/* RANGE: entries [*first, *end) have the buckets of keys in [low, high]; either may be NULL for no
 * bound. Bounds count as inclusive; a bucket too many does no harm. */
void shard_bucket_range(const struct shard_scheme *scheme, const struct slice *low,
    const struct slice *high, size_t *first, size_t *end);

#endif /* SHARD_BUCKET_H */
