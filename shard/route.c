/* shard/route.c - see route.h. */
#include "shard/route.h"

#include "base/assert.h"

/* ---- bytes ----------------------------------------------------------------------------------- */

void
shard_route_encode(const struct shard_route *route, struct buffer *to)
{
    buffer_add_be64(to, route->epoch);
    buffer_add_be64(to, route->hlc);
    buffer_add_be64(to, route->read_at);
    ASSERT(route->group_count < SHARD_ROUTE_REPLICATED);
    bool replicated = route->replicated != SHARD_REPLICATED_NONE;
    buffer_add_be16(
        to, (uint16_t)(route->group_count | (route->confined ? SHARD_ROUTE_CONFINED : 0U) |
                       (replicated ? SHARD_ROUTE_REPLICATED : 0U)));
    for (size_t i = 0; i < route->group_count; i++) {
        const struct shard_route_group *group = &route->groups[i];
        buffer_add(to, group->name, strlen(group->name) + 1);
        ASSERT(group->range_count <= SHARD_ROUTE_RANGES_MAX);
        buffer_add_be16(to, (uint16_t)group->range_count);
        for (size_t r = 0; r < group->range_count; r++) {
            buffer_add_be32(to, group->ranges[r].first);
            buffer_add_be32(to, group->ranges[r].last);
        }
    }
    if (replicated) {
        buffer_add_u8(to, (uint8_t)route->replicated);
        buffer_add_be64(to, route->replicated_version);
    }
}

static enum err
damaged(struct diag *diag)
{
    return diag_set(diag, ERR_PROTOCOL, "invalid route message");
}

static bool
take(struct slice *rest, size_t size, const uint8_t **bytes)
{
    if (rest->size < size) {
        return false;
    }
    *bytes = rest->data;
    rest->data += size;
    rest->size -= size;
    return true;
}

static enum err
decode_group(
    struct arena *arena, struct slice *rest, struct shard_route_group *group, struct diag *diag)
{
    const uint8_t *nul = rest->size == 0 ? NULL : memchr(rest->data, 0, rest->size);
    const uint8_t *bytes;
    if (nul == NULL || !take(rest, (size_t)(nul - rest->data) + 1, &bytes)) {
        return damaged(diag);
    }
    group->name = arena_strdup(arena, (const char *)bytes);
    if (!take(rest, 2, &bytes)) {
        return damaged(diag);
    }
    group->range_count = load_be16(bytes);
    if (!take(rest, group->range_count * 8, &bytes)) {
        return damaged(diag);
    }
    struct shard_route_range *ranges = arena_array(arena, group->range_count, sizeof *ranges);
    for (size_t i = 0; i < group->range_count; i++) {
        ranges[i].first = load_be32(bytes + i * 8);
        ranges[i].last = load_be32(bytes + i * 8 + 4);
        if (ranges[i].first > ranges[i].last || ranges[i].last >= SHARD_BUCKETS_MAX) {
            return damaged(diag);
        }
    }
    group->ranges = ranges;
    return ERR_OK;
}

enum err
shard_route_decode(
    struct arena *arena, struct slice body, struct shard_route *route, struct diag *diag)
{
    *route = (struct shard_route){0};
    const uint8_t *bytes;
    if (!take(&body, 26, &bytes)) {
        return damaged(diag);
    }
    route->epoch = load_be64(bytes);
    route->hlc = load_be64(bytes + 8);
    route->read_at = load_be64(bytes + 16);
    route->group_count = load_be16(bytes + 24);
    route->confined = (route->group_count & SHARD_ROUTE_CONFINED) != 0;
    bool replicated = (route->group_count & SHARD_ROUTE_REPLICATED) != 0;
    route->group_count &= SHARD_ROUTE_REPLICATED - 1;
    if (route->group_count * 3 > body.size) {
        return damaged(diag);
    }
    struct shard_route_group *groups = arena_array(arena, route->group_count, sizeof *groups);
    for (size_t i = 0; i < route->group_count; i++) {
        TRY(decode_group(arena, &body, &groups[i], diag));
    }
    route->groups = groups;
    if (replicated) {
        if (!take(&body, 9, &bytes) || bytes[0] == SHARD_REPLICATED_NONE ||
            bytes[0] > SHARD_REPLICATED_CHANGES) {
            return damaged(diag);
        }
        route->replicated = (enum shard_replicated)bytes[0];
        route->replicated_version = load_be64(bytes + 1);
    }
    return body.size == 0 ? ERR_OK : damaged(diag);
}

/* ---- text ------------------------------------------------------------------------------------ */

static enum err
malformed(struct diag *diag, const char *text, size_t size)
{
    return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid route: \"%.*s\"",
        (int)(size > 200 ? 200 : size), text);
}

static bool
read_number(const char **at, const char *end, uint64_t max, uint64_t *number)
{
    const char *from = *at;
    *number = 0;
    while (*at < end && **at >= '0' && **at <= '9') {
        uint64_t digit = (uint64_t)(**at - '0');
        if (*number > (max - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
        (*at)++;
    }
    return *at > from && *number <= max;
}

enum err
shard_ranges_parse(struct arena *arena, const char *text, size_t size,
    struct shard_route_group *group, struct diag *diag)
{
    size_t room = 1;
    for (size_t i = 0; i < size; i++) {
        room += text[i] == ',';
    }
    struct shard_route_range *ranges = arena_array(arena, room, sizeof *ranges);
    const char *at = text, *end = text + size;
    group->ranges = ranges;
    group->range_count = 0;
    while (at < end) {
        uint64_t first, last;
        if (!read_number(&at, end, SHARD_BUCKETS_MAX - 1, &first)) {
            return malformed(diag, text, size);
        }
        last = first;
        if (at < end && *at == '-') {
            at++;
            if (!read_number(&at, end, SHARD_BUCKETS_MAX - 1, &last) || last < first) {
                return malformed(diag, text, size);
            }
        }
        ranges[group->range_count++] =
            (struct shard_route_range){.first = (uint32_t)first, .last = (uint32_t)last};
        if (at < end && (*at++ != ',' || at == end)) {
            return malformed(diag, text, size);
        }
    }
    return group->range_count <= SHARD_ROUTE_RANGES_MAX ? ERR_OK : malformed(diag, text, size);
}

/* "epoch=17": true if it is this one. */
static bool
named_number(const char *word, size_t size, const char *name, uint64_t *number, bool *bad)
{
    size_t length = strlen(name);
    if (size <= length || strncmp(word, name, length) != 0 || word[length] != '=') {
        return false;
    }
    const char *at = word + length + 1;
    *bad = !read_number(&at, word + size, UINT64_MAX, number) || at != word + size;
    return true;
}

static bool
named_version(const char *word, size_t size, struct shard_route *route, bool *bad)
{
    static const struct {
        const char *name;
        enum shard_replicated kind;
    } kinds[] = {{"replicated", SHARD_REPLICATED_READS}, {"exactly", SHARD_REPLICATED_EXACTLY},
        {"changes_replicated", SHARD_REPLICATED_CHANGES}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (named_number(word, size, kinds[i].name, &route->replicated_version, bad)) {
            route->replicated = kinds[i].kind;
            return true;
        }
    }
    return false;
}

enum err
shard_route_parse(
    struct arena *arena, const char *text, struct shard_route *route, struct diag *diag)
{
    *route = (struct shard_route){0};
    size_t room = 1;
    for (const char *at = text; *at != '\0'; at++) {
        room += *at == ' ';
    }
    struct shard_route_group *groups = arena_array(arena, room, sizeof *groups);
    route->groups = groups;
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        bool bad = false;
        if (size == 0) {
            text++;
            continue;
        }
        if (size == 8 && strncmp(text, "confined", 8) == 0) {
            route->confined = true;
            text += size;
            continue;
        }
        if (!named_number(text, size, "epoch", &route->epoch, &bad) &&
            !named_number(text, size, "hlc", &route->hlc, &bad) &&
            !named_number(text, size, "read_at", &route->read_at, &bad) &&
            !named_version(text, size, route, &bad)) {
            const char *colon = memrchr(text, ':', size);
            if (colon == NULL) {
                return malformed(diag, text, size);
            }
            struct shard_route_group *group = &groups[route->group_count++];
            group->name = arena_strndup(arena, text, (size_t)(colon - text));
            TRY(shard_ranges_parse(
                arena, colon + 1, size - (size_t)(colon - text) - 1, group, diag));
        }
        if (bad) {
            return malformed(diag, text, size);
        }
        text += size;
    }
    return ERR_OK;
}
