/*
 * router/move.c - ALTER TABLE .. MOVE BUCKET: the mover (shard/move.h) with the router's
 * connections.
 *
 * The control store's map is for movers; where statements go the nodes themselves say (cluster.c).
 * Before a move the map is brought to what the nodes say, unless a move of the group is under way:
 * then it is the movers' alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "router/router.h"
#include "shard/move.h"

enum {
    TRIES_MAX = 20,
    RETRY_US = 200 * 1000,
    WATCH_PAUSE_US = 100 * 1000, /* a move changes a few documents */
    CLOSE_PAUSE_US = 1000,
};
#define WATCHED_PREFIX "mov" /* all of it */

struct links {
    struct router *router;
    struct upstream *upstreams[ROUTER_NODES_MAX];
};

struct first {
    struct arena *arena;
    const char *value;
    bool any;
};

static enum err
take_first(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    (void)diag;
    struct first *first = arg;
    if (!first->any && count > 0 && values[0].data != NULL) {
        first->value = arena_strndup(first->arena, (const char *)values[0].data, values[0].size);
    }
    first->any = true;
    return ERR_OK;
}

/* A connection that is nobody else's: what is open in it lives as long as the move. */
static enum err
query(struct task *task, void *arg, const struct shard_map_node *node, const char *sql,
    struct arena *arena, const char **value, struct diag *diag)
{
    struct links *links = arg;
    struct router *router = links->router;
    int at = router_node(router, node->name);
    if (at < 0) {
        return diag_set(diag, ERR_UNDEFINED_OBJECT, "there is no node \"%s\"", node->name);
    }
    if (links->upstreams[at] == NULL) {
        TRY(cluster_connect(task, router, (uint32_t)at, &links->upstreams[at], diag));
    }
    struct first first = {.arena = arena};
    enum err err = node_query(task, links->upstreams[at], sql, take_first, &first, diag);
    *value = first.value;
    return err;
}

static void
hang_up(struct task *task, void *arg)
{
    struct links *links = arg;
    for (size_t i = 0; i < ROUTER_NODES_MAX; i++) {
        if (links->upstreams[i] != NULL) {
            links->upstreams[i]->broken = true;
            pool_release(task, links->upstreams[i]);
            links->upstreams[i] = NULL;
        }
    }
}

/* ---- the map --------------------------------------------------------------------------------- */

static enum err
bring_map(struct task *task, struct router *router, struct ctl *ctl, const char *group,
    uint32_t bucket_count, struct arena *arena, struct diag *diag)
{
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        struct ctl_entry entry, *moves;
        size_t move_count;
        struct shard_map map;
        bool done = false;
        TRY(ctl_get(task, ctl, SHARD_MAP_KEY, arena, &entry, diag));
        TRY(ctl_list(task, ctl, arena_printf(arena, SHARD_MOVES_PREFIX "%s/", group), arena, &moves,
            &move_count, diag));
        TRY(shard_map_parse(arena, entry.value, &map, diag));
        if (move_count > 0) {
            return ERR_OK;
        }
        /* In this order: a move that ends meanwhile has changed the map since. */
        TRY(cluster_refresh(task, router, diag));
        for (uint32_t i = 0; i < router->node_count; i++) {
            if (!router->nodes[i].dropped && shard_map_node(&map, router->nodes[i].name) < 0) {
                shard_map_add_node(arena, &map, router->nodes[i].name, router->nodes[i].host,
                    router->nodes[i].port);
            }
        }
        shard_map_remove_group(&map, group);
        struct shard_map_group *at = shard_map_add_group(arena, &map, group, bucket_count);
        for (uint32_t i = 0; i < bucket_count; i++) {
            int owner = cluster_owner(router->cluster, group, i);
            at->owners[i] = owner < 0 ? -1 : shard_map_node(&map, router->nodes[owner].name);
        }
        map.epoch++;
        TRY(ctl_cas(
            task, ctl, SHARD_MAP_KEY, shard_map_format(arena, &map), &entry.version, &done, diag));
        if (done) {
            return ERR_OK;
        }
    }
    return diag_set(diag, ERR_OBJECT_IN_USE, "the map changes too fast");
}

enum err
cluster_control(struct task *task, struct router *router, struct ctl **ctl, struct diag *diag)
{
    const char *where = sql_config_text(router->config, "router_control");
    struct arena arena;
    arena_create(&arena, "control");
    if (where[0] == '\0') {
        where = arena_printf(&arena, "file:%s/control", router->directory);
    }
    enum err err = ctl_open(task, where, ctl, diag);
    arena_destroy(&arena);
    return err;
}

/* ---- the statement --------------------------------------------------------------------------- */

static enum err
run(struct task *task, struct router *router, struct ctl *ctl, const char *key, bool *over,
    struct diag *diag)
{
    struct links links = {.router = router};
    const struct move_link link = {.arg = &links, .query = query, .hang_up = hang_up};
    for (int tries = 1;; tries++) {
        struct move_report report;
        bool given_up = false;
        enum err err = move_run(task, ctl, &link, key, &report, &given_up, diag);
        *over = report.over;
        if (err == ERR_OK || given_up || tries == TRIES_MAX || err == ERR_QUERY_CANCELED) {
            return err;
        }
        TRY(task_interrupted(task, diag));
        task_sleep(task, RETRY_US);
    }
}

enum err
cluster_move_bucket(struct task *task, struct router *router, struct ctl *ctl, const char *group,
    uint32_t bucket_count, uint32_t bucket, const char *to, struct arena *arena, struct diag *diag)
{
    TRY(bring_map(task, router, ctl, group, bucket_count, arena, diag));
    const char *key = arena_printf(arena, SHARD_MOVES_PREFIX "%s/%u", group, bucket);
    bool there = false;
    for (int tries = 0; !there; tries++) {
        enum err err = move_plan(task, ctl, group, bucket, to, &there, diag);
        bool ours = err == ERR_OK, over = false;
        if (there || (!ours && (err != ERR_OBJECT_IN_USE || tries == TRIES_MAX))) {
            return err;
        }
        TRY(run(task, router, ctl, key, &over, diag)); /* one that was left is ended first */
        there = ours && !over;
    }
    return ERR_OK;
}

static enum err
move_all(struct task *task, struct router *router, struct ctl *ctl,
    const struct ast_alter_action *action, const char *group, uint32_t bucket_count,
    struct arena *arena, struct diag *diag)
{
    AST_FOREACH(at, action->options)
    {
        const struct ast_const *number = ast_as_const(*at);
        uint32_t bucket = number->integer < 0 || number->integer >= SHARD_BUCKETS_MAX
                              ? SHARD_BUCKETS_MAX
                              : (uint32_t)number->integer;
        TRY(cluster_move_bucket(
            task, router, ctl, group, bucket_count, bucket, action->name, arena, diag));
    }
    return cluster_refresh(task, router, diag);
}

enum err
cluster_require_superuser(struct task *task, struct router *router, struct sql_session *session,
    const char *what, struct diag *diag)
{
    struct arena arena;
    const char *user = sql_session_env(session)->user;
    int64_t super = 0;
    arena_create(&arena, "user");
    enum err err = cluster_at_node(task, router, 0,
        arena_printf(&arena, "SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname = %s",
            parser_quote_literal(&arena, user, strlen(user))),
        cluster_read_number, &super, diag);
    if (err == ERR_OK && super != 1) {
        err = diag_set(
            diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied: only a superuser may %s", what);
    }
    arena_destroy(&arena);
    return err;
}

/* The group of a table and how many buckets it has, as the first node knows it. */
static enum err
group_of(struct task *task, struct router *router, struct sql_session *session,
    const struct ast_table *table, struct arena *arena, const char **group, uint32_t *count,
    struct diag *diag)
{
    struct links links = {.router = router};
    const char *value = NULL;
    const char *name = table->schema == NULL
                           ? parser_quote_ident(arena, table->name)
                           : arena_printf(arena, "%s.%s", parser_quote_ident(arena, table->schema),
                                 parser_quote_ident(arena, table->name));
    const struct shard_map_node first = {.name = router->nodes[0].name};
    TRY(cluster_require_superuser(task, router, session, "move buckets", diag));
    const char *where =
        arena_printf(arena, "FROM tusk_sharded_tables WHERE relid = to_regclass(%s)",
            parser_quote_literal(arena, name, strlen(name)));
    enum err err = query(task, &links, &first, arena_printf(arena, "SELECT bucketgroup %s", where),
        arena, group, diag);
    if (err == ERR_OK && *group == NULL) {
        err = diag_set(diag, ERR_WRONG_OBJECT_TYPE, "table \"%s\" has no buckets", table->name);
    }
    if (err == ERR_OK) {
        err = query(task, &links, &first, arena_printf(arena, "SELECT buckets %s", where), arena,
            &value, diag);
        *count = value == NULL ? 0 : (uint32_t)strtoul(value, NULL, 10);
    }
    hang_up(task, &links);
    return err;
}

bool
cluster_is_move(const struct ast_node *body)
{
    if (body->kind != AST_ALTER_TABLE) {
        return false;
    }
    AST_FOREACH(at, ast_as_alter_table(body)->actions)
    {
        if (ast_as_alter_action(*at)->kind == AST_ALTER_MOVE_BUCKETS) {
            return true;
        }
    }
    return false;
}

enum err
cluster_move(struct task *task, struct router *router, struct sql_session *session,
    const struct ast_alter_table *alter, struct diag *diag)
{
    if (ast_list_count(alter->actions) != 1) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "MOVE BUCKETS together with other actions is not supported");
    }
    struct arena arena;
    struct ctl *ctl = NULL;
    const char *group = NULL;
    uint32_t count = 0;
    arena_create(&arena, "move");
    enum err err = cluster_control(task, router, &ctl, diag);
    if (err == ERR_OK) {
        err = group_of(task, router, session, alter->table, &arena, &group, &count, diag);
        if (err == ERR_OK) {
            err = move_all(task, router, ctl, ast_as_alter_action(ast_list_at(alter->actions, 0)),
                group, count, &arena, diag);
        }
        ctl_close(task, ctl);
    }
    arena_destroy(&arena);
    return err;
}

/* ---- in the background -----------------------------------------------------------------------
 *
 * A task of each router hears of what changes in the control store about moves, their movers and
 * plans: then buckets may be elsewhere, or a move has lost its mover, which it ends. It looks
 * without having heard of anything, too, as often as for changes of the schema. */

struct control {
    struct router *router;
    struct task *task; /* set before `runs` */
    _Atomic bool runs, closing;
};

static bool
begins(const char *key, const char *prefix)
{
    return strncmp(key, prefix, strlen(prefix)) == 0;
}

static bool
has_mover(const struct ctl_entry *entries, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (begins(entries[i].key, SHARD_MOVERS_PREFIX) &&
            strcmp(entries[i].key + strlen(SHARD_MOVERS_PREFIX), key) == 0) {
            return true;
        }
    }
    return false;
}

static enum err
resume_moves(struct task *task, struct control *control, struct ctl *ctl, struct arena *arena,
    struct diag *diag)
{
    struct router *router = control->router;
    struct ctl_entry *entries;
    size_t count;
    TRY(ctl_list(task, ctl, WATCHED_PREFIX, arena, &entries, &count, diag));
    for (size_t i = 0; i < count && !control->closing; i++) {
        struct links links = {.router = router};
        const struct move_link link = {.arg = &links, .query = query, .hang_up = hang_up};
        struct move_report report;
        bool given_up;
        if (has_mover(entries, count, entries[i].key)) {
            continue;
        }
        if (begins(entries[i].key, SHARD_PLANS_PREFIX)) {
            enum err err = balance_resume(task, router, ctl, entries[i].key, arena, diag);
            if (err != ERR_OK) {
                world_log(router->world, "\"%s\" is left: %s", entries[i].key, diag->message);
            }
        }
        if (!begins(entries[i].key, SHARD_MOVES_PREFIX)) {
            continue;
        }
        enum err err = move_run(task, ctl, &link, entries[i].key, &report, &given_up, diag);
        if (err == ERR_OK && !report.over) {
            world_log(router->world, "\"%s\" was left by another router, and is done now",
                entries[i].key);
        } else if (err != ERR_OK && err != ERR_OBJECT_IN_USE) {
            world_log(router->world, "\"%s\" is left: %s", entries[i].key, diag->message);
        }
    }
    return ERR_OK;
}

static void
control_main(struct task *task, void *arg)
{
    struct control *control = arg;
    struct router *router = control->router;
    bool watches = strcmp(sql_config_text(router->config, "router_watch"), "on") == 0;
    struct ctl *ctl = NULL;
    struct arena arena;
    struct diag diag;
    uint64_t version = 0;
    control->task = task;
    control->runs = true;
    arena_create(&arena, "control");
    while (!control->closing) {
        int64_t began_us = world_clock_us(router->world);
        bool changed = false;
        enum err err = ctl != NULL ? ERR_OK : cluster_control(task, router, &ctl, &diag);
        if (err == ERR_OK && watches) {
            err = ctl_watch(task, ctl, WATCHED_PREFIX, began_us + router->limits.sync_pause_us,
                &version, &changed, &diag);
        }
        if (err == ERR_OK && changed && !control->closing) {
            (void)!(cluster_refresh(task, router, &diag) == ERR_OK);
        }
        if (err == ERR_OK && !control->closing) {
            err = resume_moves(task, control, ctl, &arena, &diag);
        }
        arena_reset(&arena);
        int64_t pause_us = err == ERR_OK && watches ? WATCH_PAUSE_US : router->limits.sync_pause_us;
        int64_t until_us = world_clock_us(router->world) + pause_us;
        while (!control->closing && world_clock_us(router->world) < until_us) {
            task_park(task, until_us);
        }
    }
    ctl_close(task, ctl);
    arena_destroy(&arena);
    control->runs = false;
}

enum err
control_open(struct task *task, struct router *router, struct diag *diag)
{
    struct control *control = mem_zalloc(sizeof *control);
    control->router = router;
    enum err err = task_spawn(
        router->world, (int)task_worker(task), "control store", control_main, control, diag);
    if (err != ERR_OK) {
        mem_free(control);
        return err;
    }
    router->control = control;
    while (!control->runs) {
        task_park(task, world_clock_us(router->world) + CLOSE_PAUSE_US);
    }
    return ERR_OK;
}

void
control_close(struct task *task, struct router *router)
{
    struct control *control = router->control;
    if (control == NULL) {
        return;
    }
    control->closing = true;
    task_interrupt(control->task, TASK_TERMINATE);
    while (control->runs) {
        task_park(task, world_clock_us(router->world) + CLOSE_PAUSE_US);
    }
    mem_free(control);
    router->control = NULL;
}
