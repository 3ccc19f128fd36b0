/*
 * sql/catalog/sharding.h - how a table is sharded: its scheme, stored beside its definition.
 *
 * Tables that are colocated form a group, named after the first of them; they share buckets, and
 * with them where rows are. Who has a bucket: buckets.h.
 */
#ifndef SQL_CATALOG_SHARDING_H
#define SQL_CATALOG_SHARDING_H

#include "shard/bucket.h"
#include "sql/catalog/catalog.h"

struct bucket_group;

struct sharding {
    struct shard_scheme scheme;
    uint16_t column;           /* whose values decide; none of SHARD_REPLICATED */
    const char *group;         /* schema.table of the first */
    const char *const *places; /* LIST .. ON node, one for each bucket, NULL: anywhere; or NULL */
    struct bucket_group *ownership; /* of a picture, not stored */
};

/* Put, or (NULL) remove. */
enum err catalog_sharding_put(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t relation, const struct sharding *sharding, struct diag *diag);

/* The bucket of a row. ERR_CHECK in words if no bucket has such a value. `key` is scratch. */
enum err sharding_bucket(const struct relation *relation, const struct datum *row,
    struct buffer *key, uint32_t *bucket, struct diag *diag);

/* As it would be written behind CREATE TABLE (..). */
const char *sharding_definition(
    struct arena *arena, const struct eval_env *env, const struct relation *relation);

/* May these tables be in one group? */
bool sharding_same(const struct relation *a, const struct relation *b);

#endif /* SQL_CATALOG_SHARDING_H */
