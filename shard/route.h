/*
 * shard/route.h - what a router says of a statement beside its text: by which map it was sent, and
 * for which buckets.
 *
 * It goes before a Query, or before a Parse/Bind/Execute, as a message of its own of type
 * SHARD_ROUTE_MESSAGE, which has no answer; it counts for what follows up to and including the next
 * ReadyForQuery, or until the next such message. For clients that cannot send it there is SET
 * tusk.route = '<text form>', which counts until it is changed.
 *
 * The epoch counts the changes of what a route means: which tables names are, which buckets they
 * have, which nodes there are. It is the number of the last such change in the cluster's list of
 * them (router/cluster.c), which router and shard have each made of the same list. Where it is not
 * the shard's own the statement is refused (sql/catalog/buckets.h, BU4).
 *
 * What the shard makes of it (sql/catalog/buckets.h): every bucket named must be the shard's at the
 * statement's snapshot, else TR003 (it is elsewhere; DETAIL says where) or TR004 (it is on its way;
 * ask again soon). Rows that are written are checked one by one whatever was named. A statement may
 * read all of its tables, and is refused (TR004) while rows of a bucket that has left are still
 * there, unless the router says that it is `confined`: by its own conditions on the shard column it
 * reads nothing but the buckets named.
 *
 *     OFFSET  SIZE  body of the message, numbers big-endian
 *     0       8     epoch; 0: the cluster has had no change of what routes mean yet
 *     8       8     hlc: the shard's clock is raised to at least this; 0: nothing
 *     16      8     read_at: read as of this stamp, read only; 0: the newest
 *     24      2     number of groups, 32768 if confined, and 16384 if it concerns replicated
 * tables; then each group: name and NUL 2     number of ranges; then each: 4 first bucket, 4 last
 * bucket 9     behind the groups, if it concerns replicated tables (sql/catalog/replicated.h): 1
 * enum shard_replicated, 8 the number of their version
 *
 * The text form: "epoch=17 hlc=0 read_at=0 public.users:0-31,64 public.items:5", all parts
 * optional; and "replicated=5", "exactly=5" or "changes_replicated=5".
 */
#ifndef SHARD_ROUTE_H
#define SHARD_ROUTE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "shard/bucket.h"

enum {
    SHARD_ROUTE_MESSAGE = 'r',
    SHARD_ROUTE_RANGES_MAX = 65535,
    SHARD_ROUTE_CONFINED = 1 << 15, /* beside the number of groups */
    SHARD_ROUTE_REPLICATED = 1 << 14,
};

/* What the statement has to do with replicated tables. */
enum shard_replicated {
    SHARD_REPLICATED_NONE,
    SHARD_REPLICATED_READS,   /* of the version said, or of a later one */
    SHARD_REPLICATED_EXACTLY, /* of the version said */
    SHARD_REPLICATED_CHANGES, /* and reads them as READS does */
};

struct shard_route_range {
    uint32_t first, last; /* both included */
};

struct shard_route_group {
    const char *name;
    size_t range_count;
    const struct shard_route_range *ranges;
};

struct shard_route {
    uint64_t epoch, hlc, read_at;
    bool confined;
    size_t group_count;
    const struct shard_route_group *groups;
    enum shard_replicated replicated;
    uint64_t replicated_version;
};

/* The body only. At most 16,383 groups, and 65,535 ranges each. */
void shard_route_encode(const struct shard_route *route, struct buffer *to);
/* ERR_PROTOCOL if the bytes are not what they should be. */
enum err shard_route_decode(
    struct arena *arena, struct slice body, struct shard_route *route, struct diag *diag);
/* ERR_INVALID_PARAMETER_VALUE. An empty text is a route that says nothing. */
enum err shard_route_parse(
    struct arena *arena, const char *text, struct shard_route *route, struct diag *diag);
/* "0-31,64" */
enum err shard_ranges_parse(struct arena *arena, const char *text, size_t size,
    struct shard_route_group *group, struct diag *diag);

#endif /* SHARD_ROUTE_H */
