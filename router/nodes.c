/*
 * router/nodes.c - which nodes there are: ALTER CLUSTER ADD NODE, DROP NODE.
 *
 * The list stands in tusk_cluster.nodes of every node, and changes as the schema does (cluster.c,
 * K1-K4): a change of the nodes is one of the list of changes, with a new epoch of routes. So every
 * router learns of it, and one that has not is refused by the shards: it would leave out a node's
 * rows, or read tables of one that has left. router_nodes only says whom to ask first. A node's
 * number is its place in the list, and stays; who has left keeps it.
 *
 *   N1. A node is in the list only when it has the schema, sequences with blocks of their own and
 *       the rows of replicated tables, as of the number that it says it has (replicated.h). Those
 *       are copied while they and their list are locked at the first node against changes, in the
 *       transaction that puts the node into the list of nodes. Who changes replicated tables by an
 *       older list of nodes has committed before, and so is in the copy, or is refused (K4).
 *   N2. Who is dropped has no bucket, and no move leads there: the control store's map does not
 *       know it any more (a move compares the map's version when it is planned and when it is
 *       decided), before the node, brought up to date, is asked what it has. The change itself is
 * refused if another one came between, a new table's buckets for instance.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "router/router.h"
#include "shard/move.h"

enum {
    TRIES_MAX = 20,
    COPY_FLUSH_SIZE = 64 * 1024,
    TABLES_MAX = 10000,
    WAIT_PAUSE_US = 200 * 1000,
    WAIT_TELL_US = 5 * 1000 * 1000,
};

int
router_node(const struct router *router, const char *name)
{
    for (uint32_t i = 0; i < router->node_count; i++) {
        if (!router->nodes[i].dropped && strcmp(router->nodes[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool
router_node_address(struct router_node *node, const char *text, size_t size)
{
    const char *colon = NULL, *end = text + size;
    for (const char *at = text; at < end; at++) {
        colon = *at == ':' ? at : colon;
    }
    char *digits_end = NULL;
    unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, &digits_end, 10);
    if (colon == NULL || digits_end != end || port == 0 || port > UINT16_MAX ||
        colon - text >= ROUTER_NAME_MAX) {
        return false;
    }
    memset(node->host, 0, sizeof node->host);
    memcpy(node->host, text, (size_t)(colon - text));
    node->port = (uint16_t)port;
    return true;
}

/* ---- the list ---------------------------------------------------------------------------------
 */

struct list {
    struct router_node nodes[ROUTER_NODES_MAX];
    uint32_t count;
};

static const char read_list[] = "SELECT number, name, host, port, CASE WHEN dropped THEN 1 ELSE 0 "
                                "END FROM tusk_cluster.nodes ORDER BY number";

static bool
take_text(struct slice value, char text[ROUTER_NAME_MAX])
{
    if (value.data == NULL || value.size == 0 || value.size >= ROUTER_NAME_MAX) {
        return false;
    }
    memset(text, 0, ROUTER_NAME_MAX);
    memcpy(text, value.data, value.size);
    return true;
}

static enum err
take_node(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct list *list = arg;
    int64_t number = -1, port = 0, dropped = 0;
    bool fine = count == 5 && list->count < ROUTER_NODES_MAX &&
                cluster_read_number(&number, values, 1, diag) == ERR_OK &&
                cluster_read_number(&port, values + 3, 1, diag) == ERR_OK &&
                cluster_read_number(&dropped, values + 4, 1, diag) == ERR_OK &&
                number == list->count && port > 0 && port <= UINT16_MAX;
    struct router_node *node = &list->nodes[fine ? list->count : 0];
    if (!fine || !take_text(values[1], node->name) || !take_text(values[2], node->host)) {
        return diag_set(diag, ERR_PROTOCOL, "tusk_cluster.nodes is not what it should be");
    }
    node->port = (uint16_t)port;
    node->dropped = dropped == 1;
    list->count++;
    return ERR_OK;
}

static void
set_node(struct router_node *to, const struct router_node *from)
{
    memcpy(to->name, from->name, sizeof to->name);
    memcpy(to->host, from->host, sizeof to->host);
    to->port = from->port;
    to->dropped = from->dropped;
}

enum err
nodes_load(struct task *task, struct router *router, struct diag *diag)
{
    struct list *list = mem_zalloc(sizeof *list);
    enum err err = cluster_at_node(task, router, 0, read_list, take_node, list, diag);
    for (uint32_t i = 0; err == ERR_OK && i < list->count; i++) {
        if (i == router->node_count) {
            set_node(&router->nodes[i], &list->nodes[i]);
            router->node_count++; /* seen with what it counts */
        } else if (strcmp(router->nodes[i].name, list->nodes[i].name) != 0) {
            err = diag_set(diag, ERR_CONFIG_FILE,
                "node %u of the cluster is \"%s\", and not \"%s\" as router_nodes says", i,
                list->nodes[i].name, router->nodes[i].name);
        } else {
            router->nodes[i].dropped = list->nodes[i].dropped;
        }
    }
    mem_free(list);
    return err;
}

enum err
nodes_wait(struct task *task, struct router *router, int64_t *told_us, struct diag *diag)
{
    struct breaker *breakers = router->workers[task_worker(task)].breakers;
    int64_t now = world_clock_us(router->world);
    TRY(task_interrupted(task, diag));
    bool tell = *told_us == 0 || now - *told_us >= WAIT_TELL_US;
    for (uint32_t i = 0; i < router->node_count; i++) {
        if (tell && !router->nodes[i].dropped && breakers[i].last_failure[0] != '\0') {
            world_log(router->world, "waiting for node \"%s\": %s", router->nodes[i].name,
                breakers[i].last_failure);
        }
    }
    *told_us = tell ? now : *told_us;
    task_sleep(task, WAIT_PAUSE_US);
    return task_interrupted(task, diag);
}

enum err
nodes_has_cluster(struct task *task, struct router *router, bool *has, struct diag *diag)
{
    struct worker *worker = &router->workers[task_worker(task)];
    struct upstream *upstream = NULL;
    int64_t count = 0, told_us = 0;
    enum err err;
    *has = false;
    do {
        worker->breakers[0] = (struct breaker){0};
        err = node_acquire(task, worker, 0, sql_config_text(router->config, "router_user"),
            "postgres", &upstream, diag);
    } while (err == ERR_SHARD_UNREACHABLE && nodes_wait(task, router, &told_us, diag) == ERR_OK);
    TRY(task_interrupted(task, diag));
    if (err != ERR_OK) {
        world_log(router->world, "whether \"%s\" is one of a cluster cannot be asked: %s",
            router->nodes[0].name, diag->message);
        return ERR_OK;
    }
    err = node_query(task, upstream, "SELECT count(*) FROM pg_catalog.tusk_nodes",
        cluster_read_number, &count, diag);
    pool_release(task, upstream);
    *has = err == ERR_OK && count == 1;
    return ERR_OK;
}

/* A connection that is nobody else's, and is not kept. */
static enum err
open_alone(struct task *task, struct router *router, uint32_t node, struct upstream **upstream,
    struct diag *diag)
{
    router->workers[task_worker(task)].breakers[node] = (struct breaker){0};
    return cluster_connect(task, router, node, upstream, diag);
}

static void
close_alone(struct task *task, struct upstream *upstream)
{
    if (upstream != NULL) {
        upstream->broken = true;
        pool_release(task, upstream);
    }
}

static void
put_row(struct buffer *to, struct arena *arena, uint32_t number, const struct router_node *node)
{
    buffer_printf(to, "(%u, %s, %s, %u, %s)", number,
        parser_quote_literal(arena, node->name, strlen(node->name)),
        parser_quote_literal(arena, node->host, strlen(node->host)), node->port,
        node->dropped ? "true" : "false");
}

/* All of them, for a node that knows none. */
static enum err
write_list(
    struct task *task, struct upstream *upstream, const struct router *router, struct diag *diag)
{
    struct buffer text = {0};
    struct arena arena;
    arena_create(&arena, "nodes");
    buffer_add_text(&text, "INSERT INTO tusk_cluster.nodes VALUES ");
    for (uint32_t i = 0; i < router->node_count; i++) {
        buffer_add_text(&text, i == 0 ? "" : ", ");
        put_row(&text, &arena, i, &router->nodes[i]);
    }
    buffer_add_text(&text, " ON CONFLICT (number) DO NOTHING");
    buffer_add_u8(&text, 0);
    enum err err = node_query(task, upstream, (const char *)text.data, NULL, NULL, diag);
    buffer_destroy(&text);
    arena_destroy(&arena);
    return err;
}

static enum err
ask_seed(
    struct task *task, struct router *router, uint32_t seed, struct list *list, struct diag *diag)
{
    struct upstream *upstream = NULL;
    list->count = 0;
    TRY(open_alone(task, router, seed, &upstream, diag));
    enum err err = node_query(task, upstream, cluster_create_list, NULL, NULL, diag);
    err = err == ERR_OK ? node_query(task, upstream, read_list, take_node, list, diag) : err;
    close_alone(task, upstream);
    return err;
}

enum err
nodes_open(struct task *task, struct router *router, struct diag *diag)
{
    struct list *list = mem_zalloc(sizeof *list);
    enum err err = ERR_OK, first = ERR_OK;
    for (uint32_t i = 0; i < router->node_count && list->count == 0; i++) {
        err = ask_seed(task, router, i, list, diag);
        first = i == 0 ? err : first;
        if (err != ERR_OK && err != ERR_SHARD_UNREACHABLE) {
            break;
        }
    }
    if (list->count > 0) { /* addresses that the setting says count more */
        for (uint32_t i = 0; i < list->count; i++) {
            int seed = list->nodes[i].dropped ? -1 : router_node(router, list->nodes[i].name);
            if (seed >= 0) {
                set_node(&list->nodes[i], &router->nodes[seed]);
            }
        }
        for (uint32_t i = 0; i < list->count; i++) {
            set_node(&router->nodes[i], &list->nodes[i]);
        }
        router->node_count = list->count;
        err = ERR_OK;
    } else if (first == ERR_SHARD_UNREACHABLE) { /* it may have a list, and come at this moment */
        err = first;
    } else if (err == ERR_OK || err == ERR_SHARD_UNREACHABLE) {
        struct upstream *upstream = NULL;
        err = open_alone(task, router, 0, &upstream, diag);
        err = err == ERR_OK ? write_list(task, upstream, router, diag) : err;
        close_alone(task, upstream);
    }
    mem_free(list);
    TRY(err);
    TRY(nodes_load(task, router, diag));
    for (uint32_t i = 1; i < router->node_count; i++) { /* who cannot be asked is told later */
        struct upstream *upstream = NULL;
        struct diag ignored;
        if (!router->nodes[i].dropped &&
            open_alone(task, router, i, &upstream, &ignored) == ERR_OK) {
            (void)!(
                node_query(task, upstream, cluster_create_list, NULL, NULL, &ignored) == ERR_OK &&
                write_list(task, upstream, router, &ignored) == ERR_OK);
        }
        close_alone(task, upstream);
    }
    return ERR_OK;
}

/* ---- the control store ------------------------------------------------------------------------
 */

/* Puts the node into its map or takes it out of it. Out: only if nothing moves to or from it. */
static enum err
change_map(struct task *task, struct router *router, const struct router_node *node, bool add,
    struct diag *diag)
{
    struct arena arena;
    struct ctl *ctl = NULL;
    bool done = false;
    TRY(cluster_control(task, router, &ctl, diag));
    arena_create(&arena, "nodes");
    enum err err = ERR_OK;
    for (int tries = 0; err == ERR_OK && !done && tries < TRIES_MAX; tries++) {
        struct ctl_entry entry, *moves;
        struct shard_map map;
        size_t count = 0;
        char *quoted = arena_printf(&arena, "\"%s\"", node->name);
        err = ctl_get(task, ctl, SHARD_MAP_KEY, &arena, &entry, diag);
        err = err == ERR_OK ? shard_map_parse(&arena, entry.value, &map, diag) : err;
        err = err == ERR_OK && !add
                  ? ctl_list(task, ctl, SHARD_MOVES_PREFIX, &arena, &moves, &count, diag)
                  : err;
        for (size_t i = 0; err == ERR_OK && i < count; i++) {
            if (strstr(moves[i].value, quoted) != NULL) {
                err = diag_set(diag, ERR_OBJECT_IN_USE,
                    "a bucket is being moved to or from node \"%s\" (%s)", node->name,
                    moves[i].key);
            }
        }
        if (err != ERR_OK || (shard_map_node(&map, node->name) >= 0) == add) {
            break; /* as it should be */
        }
        if (add) {
            shard_map_add_node(&arena, &map, node->name, node->host, node->port);
        } else {
            shard_map_remove_node(&map, node->name);
        }
        map.epoch++;
        err = ctl_cas(
            task, ctl, SHARD_MAP_KEY, shard_map_format(&arena, &map), &entry.version, &done, diag);
    }
    arena_destroy(&arena);
    ctl_close(task, ctl);
    return err;
}

/* ---- ADD NODE ---------------------------------------------------------------------------------
 */

/* A row of two texts. */
struct names {
    struct arena arena;
    const char *(*rows)[2];
    size_t count;
};

static enum err
take_names(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct names *names = arg;
    if (count != 2 || names->count == TABLES_MAX) {
        return diag_set(diag, ERR_PROGRAM_LIMIT, "too many tables or sequences");
    }
    for (int i = 0; i < 2; i++) {
        names->rows[names->count][i] =
            arena_strndup(&names->arena, (const char *)values[i].data, values[i].size);
    }
    names->count++;
    return ERR_OK;
}

static enum err
read_names(struct task *task, struct upstream *upstream, const char *text, struct names *names,
    struct diag *diag)
{
    arena_create(&names->arena, "names");
    names->rows = arena_array(&names->arena, TABLES_MAX, sizeof *names->rows);
    names->count = 0;
    enum err err = node_query(task, upstream, text, take_names, names, diag);
    if (err != ERR_OK) {
        arena_destroy(&names->arena);
    }
    return err;
}

static enum err
take_number(struct task *task, struct upstream *upstream, const char *text, int64_t *number,
    struct diag *diag)
{
    return node_query(task, upstream, text, cluster_read_number, number, diag);
}

/* The buckets the node still answers for. */
static enum err
count_buckets(struct task *task, struct upstream *upstream, int64_t *count, struct diag *diag)
{
    return take_number(task, upstream,
        "SELECT count(*) FROM pg_catalog.tusk_buckets WHERE state IN ('owned', 'handing', 'sent')",
        count, diag);
}

/* Is it the node it is said to be, and does it belong to nobody else? */
static enum err
check_candidate(struct task *task, struct router *router, struct upstream *upstream,
    const struct router_node *node, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "node");
    const char *name = parser_quote_literal(&arena, node->name, strlen(node->name));
    int64_t named = 0, owned = 0, version = 0, known = 0;
    enum err err = take_number(task, upstream,
        arena_printf(&arena, "SELECT count(*) WHERE current_setting('cluster_node') = %s", name),
        &named, diag);
    if (err == ERR_OK && named == 0) {
        err = diag_set(diag, ERR_OBJECT_STATE,
            "the server at %s:%u is not node \"%s\": its setting cluster_node says otherwise",
            node->host, node->port, node->name);
    }
    err = err == ERR_OK ? node_query(task, upstream, cluster_create_list, NULL, NULL, diag) : err;
    err = err == ERR_OK ? count_buckets(task, upstream, &owned, diag) : err;
    if (err == ERR_OK && owned > 0) {
        err = diag_set(
            diag, ERR_OBJECT_STATE, "node \"%s\" has buckets of another cluster", node->name);
    }
    /* What it has of a list must be a beginning of ours: it was dropped, or an attempt has failed.
     */
    err = err == ERR_OK
              ? take_number(task, upstream,
                    "SELECT coalesce(max(version), 0) FROM tusk_cluster.ddl", &version, diag)
              : err;
    if (err == ERR_OK && version > 0) {
        struct names last = {0};
        const char *text = arena_printf(&arena,
            "SELECT statement, extra FROM tusk_cluster.ddl WHERE version = %lld",
            (long long)version);
        err = read_names(task, upstream, text, &last, diag);
        if (err == ERR_OK && last.count == 1) {
            const char *a = last.rows[0][0], *b = last.rows[0][1];
            err = cluster_at_node(task, router, 0,
                arena_printf(&arena,
                    "SELECT count(*) FROM tusk_cluster.ddl WHERE version = %lld AND statement = %s "
                    "AND extra = %s",
                    (long long)version, parser_quote_literal(&arena, a, strlen(a)),
                    parser_quote_literal(&arena, b, strlen(b))),
                cluster_read_number, &known, diag);
            arena_destroy(&last.arena);
        }
        if (err == ERR_OK && known != 1) {
            err = diag_set(
                diag, ERR_OBJECT_STATE, "node \"%s\" has a schema of another cluster", node->name);
        }
    }
    arena_destroy(&arena);
    return err;
}

static enum err
give_blocks(struct task *task, struct router *router, struct upstream *upstream, struct diag *diag)
{
    struct names names;
    TRY(read_names(task, upstream, "SELECT schemaname::text, sequencename::text FROM pg_sequences",
        &names, diag));
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < names.count; i++) {
        err = numbers_give_block(task, router, upstream, names.rows[i][0], names.rows[i][1], diag);
    }
    arena_destroy(&names.arena);
    return err;
}

/* What comes from one goes to the other, up to the answer's end. */
static enum err
pass_copy(struct task *task, struct upstream *from, struct upstream *to, struct diag *diag)
{
    for (;;) {
        struct upstream_message message;
        TRY(upstream_next(task, from, 0, &message, diag));
        if (message.type == 'E') {
            return upstream_error(message.body, from->pool->shard->name, diag);
        }
        if (message.type == 'd') {
            buffer_add(&to->out, message.whole.data, message.whole.size);
            TRY(to->out.size < COPY_FLUSH_SIZE ? ERR_OK : upstream_flush(task, to, diag));
        } else if (message.type == 'Z') {
            wire_put_empty(&to->out, 'c');
            return node_query(task, to, NULL, NULL, NULL, diag);
        }
    }
}

static enum err
copy_table(struct task *task, struct upstream *from, struct upstream *to, const char *table,
    struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "copy");
    const char *out = arena_printf(&arena, "COPY %s TO STDOUT", table);
    const char *in = arena_printf(&arena, "COPY %s FROM STDIN", table);
    upstream_put_query(to, in, strlen(in));
    enum err err = upstream_flush(task, to, diag);
    struct upstream_message message = {0};
    while (err == ERR_OK && message.type != 'G') {
        err = upstream_next(task, to, 0, &message, diag);
        if (err == ERR_OK && message.type == 'E') {
            err = upstream_error(message.body, to->pool->shard->name, diag);
        }
    }
    if (err == ERR_OK) {
        upstream_put_query(from, out, strlen(out));
        err = upstream_flush(task, from, diag);
    }
    err = err == ERR_OK ? pass_copy(task, from, to, diag) : err;
    arena_destroy(&arena);
    return err;
}

static const char *
table_name(struct arena *arena, const char *const names[2])
{
    return arena_printf(
        arena, "%s.%s", parser_quote_ident(arena, names[0]), parser_quote_ident(arena, names[1]));
}

/* N1. Behind what they refer to: foreign keys are checked as rows come. `first` is in a block, in
 * which the tables stay locked. */
static enum err
copy_replicated(struct task *task, struct upstream *first, struct upstream *to, struct diag *diag)
{
    struct names names;
    TRY(read_names(task, first,
        "SELECT schemaname::text, tablename::text FROM tusk_sharded_tables WHERE kind = "
        "'replicated' ORDER BY relid",
        &names, diag));
    struct arena *arena = &names.arena;
    int64_t version = 0;
    enum err err =
        node_query(task, to, "BEGIN; SET LOCAL tusk.replicated_alone = on", NULL, NULL, diag);
    for (size_t i = 0; err == ERR_OK && i < names.count; i++) {
        err = node_query(task, first,
            arena_printf(arena, "LOCK TABLE %s IN SHARE MODE", table_name(arena, names.rows[i])),
            NULL, NULL, diag);
    }
    if (err == ERR_OK) {
        err = take_number(task, first, "SELECT pg_catalog.tusk_replicated_lock()", &version, diag);
    }
    for (size_t i = names.count; err == ERR_OK && i > 0; i--) { /* of an attempt that has failed */
        err = node_query(task, to,
            arena_printf(arena, "DELETE FROM %s", table_name(arena, names.rows[i - 1])), NULL, NULL,
            diag);
    }
    for (size_t i = 0; err == ERR_OK && i < names.count; i++) {
        err = copy_table(task, first, to, table_name(arena, names.rows[i]), diag);
    }
    if (err == ERR_OK) {
        err = node_query(task, to,
            arena_printf(arena, "SELECT pg_catalog.tusk_replicated_settle(%lld); COMMIT",
                (long long)version),
            NULL, NULL, diag);
    }
    arena_destroy(arena);
    return err;
}

static enum err
add_once(
    struct task *task, struct router *router, const struct router_node *wanted, struct diag *diag)
{
    TRY(cluster_synchronize(task, router, false, diag));
    uint32_t number = router->node_count;
    if (router_node(router, wanted->name) >= 0) {
        return diag_set(
            diag, ERR_DUPLICATE_OBJECT, "node \"%s\" is in the cluster already", wanted->name);
    }
    if (number == ROUTER_NODES_MAX) {
        return diag_set(
            diag, ERR_PROGRAM_LIMIT, "a cluster has had %d nodes at most", ROUTER_NODES_MAX);
    }
    struct upstream *first = NULL, *candidate = NULL;
    set_node(&router->nodes[number], wanted); /* nobody looks there yet */
    enum err err = open_alone(task, router, number, &candidate, diag);
    err = err == ERR_OK ? check_candidate(task, router, candidate, wanted, diag) : err;
    err = err == ERR_OK ? write_list(task, candidate, router, diag) : err;
    err = err == ERR_OK ? cluster_bring(task, router, candidate, diag) : err;
    err = err == ERR_OK ? give_blocks(task, router, candidate, diag) : err;
    err = err == ERR_OK ? open_alone(task, router, 0, &first, diag) : err;
    err = err == ERR_OK ? node_query(task, first, "BEGIN", NULL, NULL, diag) : err;
    err = err == ERR_OK ? copy_replicated(task, first, candidate, diag) : err;
    if (err == ERR_OK) {
        struct arena arena;
        struct buffer lines = {0};
        arena_create(&arena, "node");
        buffer_add_text(&lines, "* INSERT INTO tusk_cluster.nodes VALUES ");
        put_row(&lines, &arena, number, wanted);
        /* A router that starts writes its list at nodes that have not come to this change yet. */
        buffer_add_text(&lines, " ON CONFLICT (number) DO UPDATE SET dropped = false\n");
        buffer_add_u8(&lines, 0);
        err = cluster_append(task, router, first,
            arena_printf(&arena, "/* ALTER CLUSTER ADD NODE %s '%s:%u' */", wanted->name,
                wanted->host, wanted->port),
            (const char *)lines.data, diag);
        buffer_destroy(&lines);
        arena_destroy(&arena);
    }
    close_alone(task, candidate);
    close_alone(task, first);
    return err;
}

/* ---- DROP NODE --------------------------------------------------------------------------------
 */

static enum err
drop_once(struct task *task, struct router *router, const char *name, struct diag *diag)
{
    TRY(cluster_synchronize(task, router, false, diag));
    int number = router_node(router, name);
    if (number < 0) {
        return diag_set(diag, ERR_UNDEFINED_OBJECT, "there is no node \"%s\"", name);
    }
    if (number == 0) {
        (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "the first node cannot be dropped");
        diag_hint(diag, "It has the tables that are not sharded, and the list of changes.");
        return ERR_FEATURE_NOT_SUPPORTED;
    }
    const struct router_node *node = &router->nodes[number];
    struct upstream *leaver = NULL, *first = NULL;
    int64_t owned = 0;
    enum err err = open_alone(task, router, (uint32_t)number, &leaver, diag);
    /* N2: buckets of a table that it has not heard of yet are its own */
    err = err == ERR_OK ? cluster_bring_member(task, router, (uint32_t)number, diag) : err;
    err = err == ERR_OK ? count_buckets(task, leaver, &owned, diag) : err;
    bool away = false;
    if (err == ERR_OK && owned == 0) { /* N2: before it is asked again; what it had is nobody's */
        err = change_map(task, router, node, false, diag);
        away = err == ERR_OK;
        err = err == ERR_OK ? count_buckets(task, leaver, &owned, diag) : err;
    }
    if (err == ERR_OK && owned > 0) {
        err = diag_set(
            diag, ERR_OBJECT_IN_USE, "node \"%s\" still has %lld buckets", name, (long long)owned);
        diag_hint(diag, "ALTER CLUSTER DRAIN NODE moves them to the others.");
    }
    err = err == ERR_OK ? open_alone(task, router, 0, &first, diag) : err;
    err = err == ERR_OK ? node_query(task, first, "BEGIN", NULL, NULL, diag) : err;
    if (err == ERR_OK) {
        char words[128], line[128];
        (void)snprintf(words, sizeof words, "/* ALTER CLUSTER DROP NODE %.64s */", name);
        (void)snprintf(line, sizeof line,
            "* UPDATE tusk_cluster.nodes SET dropped = true WHERE number = %d\n", number);
        err = cluster_append(task, router, first, words, line, diag);
    }
    if (err == ERR_OK) { /* it refuses what is still routed to it */
        struct diag ignored;
        if (cluster_synchronize(task, router, false, &ignored) != ERR_OK ||
            cluster_bring(task, router, leaver, &ignored) != ERR_OK) {
            world_log(router->world, "node \"%s\" has not been told that it is dropped: %s", name,
                ignored.message);
        }
    } else if (away) {
        struct diag words = *diag;
        (void)!(change_map(task, router, node, true, diag) == ERR_OK);
        *diag = words;
    }
    close_alone(task, leaver);
    close_alone(task, first);
    return err;
}

/* ---- the statement ----------------------------------------------------------------------------
 */

enum err
cluster_alter(struct task *task, struct router *router, struct sql_session *session,
    const struct ast_alter_cluster *alter, struct diag *diag)
{
    struct router_node node = {.port = 0};
    bool add = alter->kind == AST_CLUSTER_ADD;
    if (alter->kind == AST_CLUSTER_DRAIN || alter->kind == AST_CLUSTER_REBALANCE) {
        return cluster_balance(task, router, session, alter->name, diag);
    }
    if (strlen(alter->name) >= ROUTER_NAME_MAX) {
        return diag_set(diag, ERR_UNDEFINED_OBJECT, "there is no node \"%s\"", alter->name);
    }
    memcpy(node.name, alter->name, strlen(alter->name));
    if (add && !router_node_address(&node, alter->address, strlen(alter->address))) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "invalid address of a node: \"%s\" is not host:port", alter->address);
    }
    TRY(cluster_require_superuser(task, router, session, "change the nodes of a cluster", diag));
    cluster_lock(task, router);
    enum err err = ERR_UNIQUE;
    for (int tries = 0; err == ERR_UNIQUE && tries < TRIES_MAX; tries++) {
        err = add ? add_once(task, router, &node, diag) : drop_once(task, router, node.name, diag);
    }
    struct diag later;
    if (err == ERR_OK && cluster_synchronize(task, router, true, &later) != ERR_OK) {
        world_log(router->world, "not all nodes know of the change yet: %s", later.message);
    }
    copies_keep(task, router);
    cluster_unlock(router);
    if (err == ERR_OK && add && change_map(task, router, &node, true, &later) != ERR_OK) {
        world_log(router->world, "the control store does not know node \"%s\" yet: %s", node.name,
            later.message);
    }
    return err;
}
