/*
 * What routers, clients and the control store say of buckets, from anything. First byte 0: the body
 * of a route message; 1: a route as text; else a map of buckets as the control store keeps it. What
 * is understood, written again, is understood again and the same.
 */
#include "base/assert.h"
#include "shard/map.h"
#include "shard/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_route(struct arena *arena, const struct shard_route *route)
{
    struct buffer bytes = {0};
    struct buffer again = {0};
    struct shard_route other;
    shard_route_encode(route, &bytes);
    ASSERT(shard_route_decode(arena, slice_of(bytes.data, bytes.size), &other, NULL) == ERR_OK);
    shard_route_encode(&other, &again);
    ASSERT(slice_equal(slice_of(bytes.data, bytes.size), slice_of(again.data, again.size)));
    ASSERT(other.confined == route->confined && other.group_count == route->group_count);
    buffer_destroy(&bytes);
    buffer_destroy(&again);
}

static void
check_map(struct arena *arena, const struct shard_map *map)
{
    struct shard_map other;
    const char *text = shard_map_format(arena, map);
    ASSERT(shard_map_parse(arena, text, &other, NULL) == ERR_OK);
    ASSERT(strcmp(text, shard_map_format(arena, &other)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct slice rest = slice_of(data + 1, size - 1);
    struct arena arena;
    struct diag diag;
    struct shard_route route;
    struct shard_map map;
    arena_create(&arena, "fuzz");
    const char *text = arena_strndup(&arena, (const char *)rest.data, rest.size);
    if (data[0] == 0) {
        if (shard_route_decode(&arena, rest, &route, &diag) == ERR_OK) {
            check_route(&arena, &route);
        }
    } else if (data[0] == 1) {
        if (shard_route_parse(&arena, text, &route, &diag) == ERR_OK &&
            route.group_count < SHARD_ROUTE_CONFINED) {
            check_route(&arena, &route);
        }
    } else if (shard_map_parse(&arena, text, &map, &diag) == ERR_OK) {
        check_map(&arena, &map);
    }
    arena_destroy(&arena);
    return 0;
}
