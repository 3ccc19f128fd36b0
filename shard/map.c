/* shard/map.c - see map.h. */
#include "shard/map.h"

#include <cjson/cJSON.h>

#include "base/assert.h"

/* ---- reading --------------------------------------------------------------------------------- */

static enum err
damaged(struct diag *diag, const char *what)
{
    return diag_set(diag, ERR_CORRUPT, "the shard map in the control store is damaged: %s", what);
}

static const char *
text_of(struct arena *arena, const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text == NULL ? NULL : arena_strdup(arena, text);
}

static bool
number_of(const cJSON *item, double min, double max, double *number)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= min && item->valuedouble <= max)) {
        return false;
    }
    *number = item->valuedouble;
    return true;
}

static enum err
read_nodes(struct arena *arena, const cJSON *array, struct shard_map *map, struct diag *diag)
{
    map->nodes = arena_array(arena, (size_t)cJSON_GetArraySize(array), sizeof *map->nodes);
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        struct shard_map_node *node = &map->nodes[map->node_count++];
        double port;
        node->name = text_of(arena, item, "name");
        node->host = text_of(arena, item, "host");
        if (node->name == NULL || node->host == NULL ||
            !number_of(cJSON_GetObjectItemCaseSensitive(item, "port"), 1, UINT16_MAX, &port)) {
            return damaged(diag, "a node");
        }
        node->port = (uint16_t)port;
    }
    return ERR_OK;
}

static enum err
read_groups(struct arena *arena, const cJSON *array, struct shard_map *map, struct diag *diag)
{
    map->groups = arena_array(arena, (size_t)cJSON_GetArraySize(array), sizeof *map->groups);
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        struct shard_map_group *group = &map->groups[map->group_count++];
        const cJSON *owners = cJSON_GetObjectItemCaseSensitive(item, "owners");
        group->name = text_of(arena, item, "name");
        int count = cJSON_GetArraySize(owners);
        if (group->name == NULL || !cJSON_IsArray(owners) || count > SHARD_BUCKETS_MAX) {
            return damaged(diag, "a group");
        }
        group->owners = arena_array(arena, (size_t)count, sizeof *group->owners);
        const cJSON *owner;
        cJSON_ArrayForEach(owner, owners)
        {
            double node;
            if (!number_of(owner, -1, (double)map->node_count - 1, &node)) {
                return damaged(diag, "an owner");
            }
            group->owners[group->bucket_count++] = (int32_t)node;
        }
    }
    return ERR_OK;
}

enum err
shard_map_parse(struct arena *arena, const char *text, struct shard_map *map, struct diag *diag)
{
    *map = (struct shard_map){0};
    if (text == NULL || text[0] == '\0') {
        return ERR_OK;
    }
    cJSON *root = cJSON_Parse(text);
    double epoch;
    enum err err = ERR_OK;
    if (!number_of(cJSON_GetObjectItemCaseSensitive(root, "epoch"), 0, 9e15, &epoch)) {
        err = damaged(diag, "no epoch");
    } else {
        map->epoch = (uint64_t)epoch;
        err = read_nodes(arena, cJSON_GetObjectItemCaseSensitive(root, "nodes"), map, diag);
    }
    if (err == ERR_OK) {
        err = read_groups(arena, cJSON_GetObjectItemCaseSensitive(root, "groups"), map, diag);
    }
    cJSON_Delete(root);
    return err;
}

/* ---- writing --------------------------------------------------------------------------------- */

const char *
shard_map_format(struct arena *arena, const struct shard_map *map)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "epoch", (double)map->epoch);
    cJSON *nodes = cJSON_AddArrayToObject(root, "nodes");
    for (size_t i = 0; i < map->node_count; i++) {
        cJSON *node = cJSON_CreateObject();
        cJSON_AddStringToObject(node, "name", map->nodes[i].name);
        cJSON_AddStringToObject(node, "host", map->nodes[i].host);
        cJSON_AddNumberToObject(node, "port", map->nodes[i].port);
        cJSON_AddItemToArray(nodes, node);
    }
    cJSON *groups = cJSON_AddArrayToObject(root, "groups");
    for (size_t i = 0; i < map->group_count; i++) {
        const struct shard_map_group *from = &map->groups[i];
        cJSON *group = cJSON_CreateObject();
        cJSON_AddStringToObject(group, "name", from->name);
        cJSON_AddItemToObject(
            group, "owners", cJSON_CreateIntArray(from->owners, (int)from->bucket_count));
        cJSON_AddItemToArray(groups, group);
    }
    char *text = cJSON_PrintUnformatted(root);
    const char *copy = arena_strdup(arena, text);
    cJSON_free(text);
    cJSON_Delete(root);
    return copy;
}

/* ---- looking and changing -------------------------------------------------------------------- */

int
shard_map_node(const struct shard_map *map, const char *name)
{
    for (size_t i = 0; i < map->node_count; i++) {
        if (strcmp(map->nodes[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

struct shard_map_group *
shard_map_group(const struct shard_map *map, const char *name)
{
    for (size_t i = 0; i < map->group_count; i++) {
        if (strcmp(map->groups[i].name, name) == 0) {
            return &map->groups[i];
        }
    }
    return NULL;
}

/* A copy of an array with room for one more at its end, which is zero. */
static void *
grown(struct arena *arena, const void *array, size_t count, size_t size)
{
    uint8_t *copy = arena_array(arena, count + 1, size);
    if (count > 0) {
        memcpy(copy, array, count * size);
    }
    return copy;
}

void
shard_map_add_node(
    struct arena *arena, struct shard_map *map, const char *name, const char *host, uint16_t port)
{
    ASSERT(shard_map_node(map, name) < 0);
    map->nodes = grown(arena, map->nodes, map->node_count, sizeof *map->nodes);
    map->nodes[map->node_count++] = (struct shard_map_node){
        .name = arena_strdup(arena, name), .host = arena_strdup(arena, host), .port = port};
}

struct shard_map_group *
shard_map_add_group(
    struct arena *arena, struct shard_map *map, const char *name, uint32_t bucket_count)
{
    ASSERT(shard_map_group(map, name) == NULL);
    map->groups = grown(arena, map->groups, map->group_count, sizeof *map->groups);
    struct shard_map_group *group = &map->groups[map->group_count++];
    group->name = arena_strdup(arena, name);
    group->bucket_count = bucket_count;
    group->owners = arena_array(arena, bucket_count, sizeof *group->owners);
    for (uint32_t i = 0; i < bucket_count; i++) {
        group->owners[i] = -1;
    }
    return group;
}

void
shard_map_remove_node(struct shard_map *map, const char *name)
{
    int32_t gone = shard_map_node(map, name);
    if (gone < 0) {
        return;
    }
    map->node_count--;
    for (size_t i = (size_t)gone; i < map->node_count; i++) {
        map->nodes[i] = map->nodes[i + 1];
    }
    for (size_t g = 0; g < map->group_count; g++) {
        for (uint32_t b = 0; b < map->groups[g].bucket_count; b++) {
            int32_t *owner = &map->groups[g].owners[b];
            *owner = *owner == gone ? -1 : *owner > gone ? *owner - 1 : *owner;
        }
    }
}

void
shard_map_remove_group(struct shard_map *map, const char *name)
{
    struct shard_map_group *group = shard_map_group(map, name);
    if (group != NULL) {
        *group = map->groups[--map->group_count];
    }
}

void
shard_map_add_bucket(struct arena *arena, struct shard_map_group *group, int32_t owner)
{
    group->owners = grown(arena, group->owners, group->bucket_count, sizeof *group->owners);
    group->owners[group->bucket_count++] = owner;
}

void
shard_map_distribute(const struct shard_map *map, struct shard_map_group *group)
{
    for (uint32_t i = 0; i < group->bucket_count; i++) {
        if (group->owners[i] < 0 && map->node_count > 0) {
            group->owners[i] = (int32_t)((uint64_t)i * map->node_count / group->bucket_count);
        }
    }
}
