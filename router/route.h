/*
 * router/route.h - which shards a statement's rows are on, as far as its text says.
 *
 * From the bound statement (sql/bind/bind.h): conjuncts `key = constant`, `key = $n`, `key IN (..)`
 * and `key = other key` say which buckets a table's rows can come from. If all tables' rows are on
 * one shard the statement goes there as it stands, and its answer is the whole one's: what else
 * that shard has does not pass those conditions.
 */
#ifndef ROUTER_ROUTE_H
#define ROUTER_ROUTE_H

#include "shard/bucket.h"
#include "sql/session/session.h"

struct route_value {
    bool is_param;
    uint32_t param;     /* from 0 */
    oid_t type;         /* of the parameter */
    struct datum value; /* a constant's, of the column's type */
};

/* One table's rows have one of these values. */
struct route_key {
    const char *group;
    struct shard_scheme scheme;
    oid_t type; /* of the column */
    int32_t typmod;
    uint32_t value_count;
    struct route_value *values; /* or, if it is a range: */
    bool is_range;
    bool below;                           /* the high one is not in it */
    const struct route_value *low, *high; /* NULL: open */
};

struct route {
    struct arena arena;
    uint64_t epoch;          /* of the picture it was read off (sql/catalog/buckets.h, BU4) */
    bool home;               /* a table that is on the first node only */
    bool spread;             /* a sharded table of which nothing is known */
    bool writes;             /* changes or locks rows */
    bool tables;             /* any at all */
    bool replicated;         /* reads replicated tables, foreign keys' included */
    bool changes_replicated; /* `home` then, too */
    uint64_t shape;          /* of the rows it gives: their columns' types */
    int refusal;             /* 0: none */
    uint32_t key_count, key_capacity;
    struct route_key *keys;
};

/* Where values of parameters come from; false: not known. The datum is of the column's type. */
typedef bool route_param(void *arg, struct eval *eval, const struct route_key *key,
    const struct route_value *value, struct datum *datum);

struct router;
enum {
    ROUTE_ANYWHERE = -1, /* replicated tables only */
    ROUTE_SEVERAL = -2,
    ROUTE_NOWHERE = -3, /* a bucket that nobody has */
};
/* The node, or one of those. replicated: the version of replicated tables that is wanted. And the
 * message for the shard (shard/route.h), nothing if no bucket is named. */
int route_resolve(const struct router *router, const struct route *route, uint64_t replicated,
    struct eval *eval, route_param *param, void *arg, struct buffer *message);
/* The message for a shard that is to be asked whatever its buckets. */
void route_put_epoch(const struct route *route, struct buffer *message);
/* An integer, as far as it fits into the column's type. */
bool route_convert(oid_t from, const struct route_key *key, struct datum *datum);

/* Rows of this table with this value. */
void route_add_constant(struct route *route, const struct sql_inspection *inspection,
    const struct relation *relation, struct datum value);

struct route *route_new(void);
void route_delete(struct route *route);
/* For sql_session_inspect; arg: struct route *. */
enum err route_look(void *arg, const struct sql_inspection *inspection);

#endif /* ROUTER_ROUTE_H */
