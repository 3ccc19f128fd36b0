/* shard/bucket.c - see bucket.h. */
#include "shard/bucket.h"

#include "base/assert.h"
#include "base/hash.h"

/* The number of entries whose key is not above this one. */
static size_t
entries_up_to(const struct shard_scheme *scheme, struct slice key)
{
    size_t low = 0, high = scheme->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_compare(scheme->entries[middle].key, key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool
shard_bucket(const struct shard_scheme *scheme, struct slice key, uint32_t *bucket)
{
    ASSERT(scheme->kind != SHARD_REPLICATED && scheme->bucket_count > 0);
    if (scheme->kind == SHARD_HASH) {
        *bucket = (uint32_t)(hash64(key.data, key.size, 0) % scheme->bucket_count);
        return true;
    }
    size_t count = entries_up_to(scheme, key);
    if (count == 0) {
        return false;
    }
    const struct shard_entry *entry = &scheme->entries[count - 1];
    *bucket = entry->bucket;
    return scheme->kind == SHARD_RANGE || slice_equal(entry->key, key);
}

void
shard_bucket_range(const struct shard_scheme *scheme, const struct slice *low,
    const struct slice *high, size_t *first, size_t *end)
{
    ASSERT(scheme->kind == SHARD_RANGE);
    size_t below = low == NULL ? 0 : entries_up_to(scheme, *low);
    *first = below == 0 ? 0 : below - 1;
    *end = high == NULL ? scheme->entry_count : entries_up_to(scheme, *high);
    *end = *end < *first ? *first : *end;
}
