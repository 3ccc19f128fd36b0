/*
 * shard/map.h - the shard map: which node has which bucket of which group of tables.
 *
 * One document of the control store, under SHARD_MAP_KEY. Tables that are colocated form a group,
 * which is named after the first ("public.users") and whose buckets they share; so one entry says
 * where a user's rows of all of them are. Who changes the map reads it, changes it, counts `epoch`
 * up, and writes it by compare-and-set.
 *
 *     {"epoch":17,
 *      "nodes":[{"name":"n1","host":"127.0.0.1","port":5433}],
 *      "groups":[{"name":"public.users","owners":[0,0,1,2]}]}
 *
 * owners: for each bucket the node's number in `nodes`, or -1: nobody's.
 */
#ifndef SHARD_MAP_H
#define SHARD_MAP_H

#include "base/arena.h"
#include "base/err.h"
#include "shard/bucket.h"

#define SHARD_MAP_KEY       "map"
#define SHARD_MOVES_PREFIX  "moves/"
#define SHARD_MOVERS_PREFIX "movers/"    /* bound to the mover's lease */
#define SHARD_PLANS_PREFIX  "moveplans/" /* of many moves */

struct shard_map_node {
    const char *name, *host;
    uint16_t port;
};

struct shard_map_group {
    const char *name;
    uint32_t bucket_count;
    int32_t *owners; /* of each bucket; -1: nobody */
};

struct shard_map {
    uint64_t epoch;
    size_t node_count, group_count;
    struct shard_map_node *nodes;
    struct shard_map_group *groups;
};

/* ERR_CORRUPT if it is not such a text. NULL or "" is the empty map. */
enum err shard_map_parse(
    struct arena *arena, const char *text, struct shard_map *map, struct diag *diag);
const char *shard_map_format(struct arena *arena, const struct shard_map *map);

int shard_map_node(const struct shard_map *map, const char *name); /* -1: none */
struct shard_map_group *shard_map_group(const struct shard_map *map, const char *name);

/* Changing a map that was parsed into this arena. */
void shard_map_add_node(
    struct arena *arena, struct shard_map *map, const char *name, const char *host, uint16_t port);
/* What it had is nobody's. Numbers of the others may change. */
void shard_map_remove_node(struct shard_map *map, const char *name);
/* All buckets nobody's. */
struct shard_map_group *shard_map_add_group(
    struct arena *arena, struct shard_map *map, const char *name, uint32_t bucket_count);
void shard_map_remove_group(struct shard_map *map, const char *name);
/* A bucket more, split off: it goes where its parent is. */
void shard_map_add_bucket(struct arena *arena, struct shard_map_group *group, int32_t owner);
/* Nobody's buckets go to the nodes in turns of consecutive buckets, as even as can be. */
void shard_map_distribute(const struct shard_map *map, struct shard_map_group *group);

#endif /* SHARD_MAP_H */
