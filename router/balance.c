/*
 * router/balance.c - ALTER CLUSTER DRAIN NODE, REBALANCE: many buckets moved, one after the other.
 *
 * What is wanted stands in the control store as a document under SHARD_PLANS_PREFIX, until it is
 * reached; which bucket is next is found anew each time from who has which now. So nothing else
 * need be remembered: if the router dies, the task of another (move.c) goes on, and what was moved
 * by hand meanwhile, or a node that came, counts.
 *
 *   BA1. Each move makes the nodes' numbers of buckets more even (the sum of their squares, in the
 *        group and then in all, becomes less), or takes one from a node that is drained, to one
 *        that is not. So a plan ends.
 *   BA2. Two that follow one plan do no harm, only more than one move at a time: a bucket that is
 *        being moved is not planned again (shard/move.h). The lease spares that.
 */
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "base/mem.h"
#include "router/router.h"
#include "shard/ctl.h"
#include "shard/map.h"

enum {
    LEASE_S = 3,
    KEEPALIVE_US = 500 * 1000,
    WAIT_US = 200 * 1000,
    GROUPS_MAX = 10000,
    GIVE_UP_TRIES_MAX = 20,
};

/* ---- who has how many ------------------------------------------------------------------------ */

struct group {
    const char *name;
    uint32_t bucket_count;
    bool pinned; /* somebody has said where each is: only a drained node gives it away */
    uint32_t counts[ROUTER_NODES_MAX];
};

struct shape {
    struct router *router;
    struct arena *arena;
    struct group *groups;
    size_t group_count;
    uint64_t totals[ROUTER_NODES_MAX];
    uint64_t unknown;             /* buckets: a node could not be asked */
    bool takes[ROUTER_NODES_MAX]; /* it is there, and nobody drains it */
};

static enum err
take_group(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct shape *shape = arg;
    int64_t buckets;
    if (count != 3 || shape->group_count == GROUPS_MAX) {
        return diag_set(diag, ERR_PROGRAM_LIMIT, "too many groups of sharded tables");
    }
    TRY(cluster_read_number(&buckets, values + 1, 1, diag));
    struct group *group = &shape->groups[shape->group_count++];
    *group = (struct group){
        .name = arena_strndup(shape->arena, (const char *)values[0].data, values[0].size),
        .bucket_count = buckets < 0 ? 0 : (uint32_t)buckets,
        .pinned = values[2].size == 4 && memcmp(values[2].data, "list", 4) == 0,
    };
    return ERR_OK;
}

/* The node that the plan drains; -1: none, or it has gone. */
static int
drained_node(const struct router *router, const char *key)
{
    static const char drain[] = SHARD_PLANS_PREFIX "drain/";
    return strncmp(key, drain, sizeof drain - 1) == 0 ? router_node(router, key + sizeof drain - 1)
                                                      : -1;
}

static enum err
read_shape(struct task *task, struct router *router, struct ctl *ctl, struct arena *arena,
    struct shape *shape, struct diag *diag)
{
    struct ctl_entry *plans;
    size_t plan_count;
    *shape = (struct shape){.router = router, .arena = arena};
    shape->groups = arena_array(arena, GROUPS_MAX, sizeof *shape->groups);
    TRY(cluster_refresh(task, router, diag));
    TRY(cluster_at_node(task, router, 0,
        "SELECT DISTINCT bucketgroup, buckets, kind FROM pg_catalog.tusk_sharded_tables "
        "WHERE bucketgroup IS NOT NULL ORDER BY 1",
        take_group, shape, diag));
    for (uint32_t i = 0; i < router->node_count; i++) {
        shape->takes[i] = !router->nodes[i].dropped;
    }
    TRY(ctl_list(task, ctl, SHARD_PLANS_PREFIX, arena, &plans, &plan_count, diag));
    for (size_t i = 0; i < plan_count; i++) {
        int node = drained_node(router, plans[i].key);
        shape->takes[node < 0 ? 0 : node] = shape->takes[node < 0 ? 0 : node] && node < 0;
    }
    for (size_t i = 0; i < shape->group_count; i++) {
        struct group *group = &shape->groups[i];
        for (uint32_t bucket = 0; bucket < group->bucket_count; bucket++) {
            int owner = cluster_owner(router->cluster, group->name, bucket);
            if (owner >= 0) {
                group->counts[owner]++;
                shape->totals[owner]++;
            } else {
                shape->unknown++;
            }
        }
    }
    return ERR_OK;
}

struct step {
    struct group *group;
    uint32_t from, to;
};

/* Who may take has the least of the group, then of all. */
static int
least(const struct shape *shape, const struct group *group)
{
    int found = -1;
    for (uint32_t i = 0; i < shape->router->node_count; i++) {
        if (shape->takes[i] && (found < 0 || group->counts[i] < group->counts[found] ||
                                   (group->counts[i] == group->counts[found] &&
                                       shape->totals[i] < shape->totals[found]))) {
            found = (int)i;
        }
    }
    return found;
}

static int
most(const struct shape *shape, const struct group *group)
{
    int found = -1;
    for (uint32_t i = 0; i < shape->router->node_count; i++) {
        if (shape->takes[i] && (found < 0 || group->counts[i] > group->counts[found] ||
                                   (group->counts[i] == group->counts[found] &&
                                       shape->totals[i] > shape->totals[found]))) {
            found = (int)i;
        }
    }
    return found;
}

/* BA1. In a group numbers may differ by one; who has that one more is chosen so that the nodes'
 * numbers in all differ by as little. */
static bool
next_step(const struct shape *shape, int drained, struct step *step)
{
    for (size_t i = 0; i < shape->group_count; i++) {
        struct group *group = &shape->groups[i];
        int to = least(shape, group), from = drained >= 0 ? drained : most(shape, group);
        if (to < 0 || (drained >= 0 ? group->counts[from] == 0 : group->pinned)) {
            continue;
        }
        uint32_t more = group->counts[from] - group->counts[to];
        bool evens = more >= 2 || (more == 1 && shape->totals[from] >= shape->totals[to] + 2);
        if (drained >= 0 || evens) {
            *step = (struct step){group, (uint32_t)from, (uint32_t)to};
            return true;
        }
    }
    return false;
}

static uint64_t
steps_left(struct shape *shape, int drained)
{
    struct step step;
    uint64_t left = 0;
    for (; next_step(shape, drained, &step); left++) {
        step.group->counts[step.from]--;
        step.group->counts[step.to]++;
        shape->totals[step.from]--;
        shape->totals[step.to]++;
    }
    return left;
}

/* ---- a step ---------------------------------------------------------------------------------- */

static uint64_t
moved_of(const char *text)
{
    cJSON *root = cJSON_Parse(text);
    const cJSON *moved = cJSON_GetObjectItemCaseSensitive(root, "moved");
    double number = cJSON_IsNumber(moved) && moved->valuedouble > 0 ? moved->valuedouble : 0;
    cJSON_Delete(root);
    return number < 1e15 ? (uint64_t)number : 0;
}

static const char *
plan_text(struct arena *arena, uint64_t moved)
{
    return arena_printf(arena, "{\"moved\":%llu}", (unsigned long long)moved);
}

/* One bucket is moved, or the plan is reached and goes; *over: it is not there any more. */
static enum err
take_step(struct task *task, struct router *router, struct ctl *ctl, const char *key,
    struct arena *arena, bool *over, struct diag *diag)
{
    struct ctl_entry entry;
    struct shape shape;
    struct step step;
    bool done;
    TRY(ctl_get(task, ctl, key, arena, &entry, diag));
    *over = entry.value == NULL;
    if (*over) {
        return ERR_OK;
    }
    TRY(read_shape(task, router, ctl, arena, &shape, diag));
    int drained = drained_node(router, key);
    bool drains = strcmp(key, SHARD_PLANS_PREFIX "rebalance") != 0;
    if ((drains && drained < 0) || !next_step(&shape, drained, &step)) {
        if (shape.unknown > 0) {
            return diag_set(diag, ERR_SHARD_UNREACHABLE,
                "it is not known now which node has %llu buckets",
                (unsigned long long)shape.unknown);
        }
        if (drained >= 0 && shape.totals[drained] > 0) {
            return diag_set(
                diag, ERR_OBJECT_STATE, "there is no other node that could take its buckets");
        }
        return ctl_cas(task, ctl, key, NULL, &entry.version, over, diag);
    }
    uint32_t bucket = step.group->bucket_count;
    while (bucket > 0 &&
           cluster_owner(router->cluster, step.group->name, bucket - 1) != (int)step.from) {
        bucket--;
    }
    if (bucket == 0) {
        return ERR_OK; /* somebody else was faster */
    }
    TRY(cluster_move_bucket(task, router, ctl, step.group->name, step.group->bucket_count,
        bucket - 1, router->nodes[step.to].name, arena, diag));
    return ctl_cas(task, ctl, key, plan_text(arena, moved_of(entry.value) + 1), &entry.version,
        &done, diag); /* or another has counted */
}

static void
rest(struct task *task, struct router *router)
{
    int64_t until = world_clock_us(router->world) + router->limits.balance_pause_us;
    struct diag ignored;
    while (world_clock_us(router->world) < until && task_interrupted(task, &ignored) == ERR_OK) {
        task_park(task, until);
    }
}

/* BA2. *lease: 0 if another is at it. */
static enum err
take_lease(struct task *task, struct ctl *ctl, const char *key, struct arena *arena,
    uint64_t *lease, struct diag *diag)
{
    bool done = false;
    uint64_t version;
    const char *at = arena_printf(arena, SHARD_MOVERS_PREFIX "%s", key);
    const struct ctl_compare compare = {at, 0};
    TRY(ctl_lease_grant(task, ctl, LEASE_S, lease, diag));
    const struct ctl_write write = {.key = at, .value = "at work", .lease = *lease};
    enum err err = ctl_txn(task, ctl, &compare, 1, &write, 1, &done, &version, diag);
    if (err != ERR_OK || !done) {
        struct diag ignored;
        (void)!(ctl_lease_revoke(task, ctl, *lease, &ignored) == ERR_OK);
        *lease = 0;
    }
    return err;
}

enum err
balance_resume(struct task *task, struct router *router, struct ctl *ctl, const char *key,
    struct arena *arena, struct diag *diag)
{
    uint64_t lease;
    bool over;
    TRY(take_lease(task, ctl, key, arena, &lease, diag));
    if (lease == 0) {
        return ERR_OK;
    }
    enum err err = take_step(task, router, ctl, key, arena, &over, diag);
    struct diag ignored;
    (void)!(ctl_lease_revoke(task, ctl, lease, &ignored) == ERR_OK);
    rest(task, router);
    return err;
}

/* ---- the statements -------------------------------------------------------------------------- */

static enum err
follow_plan(
    struct task *task, struct router *router, struct ctl *ctl, const char *key, struct diag *diag)
{
    struct arena arena;
    uint64_t lease = 0;
    int64_t keepalive_us = 0;
    bool over = false;
    enum err err = ERR_OK;
    arena_create(&arena, "plan");
    while (err == ERR_OK && !over) {
        int64_t now = world_clock_us(router->world);
        arena_reset(&arena);
        if (lease != 0 && now >= keepalive_us) {
            bool alive = false;
            err = ctl_lease_keepalive(task, ctl, lease, &alive, diag);
            lease = alive ? lease : 0;
            keepalive_us = now + KEEPALIVE_US;
        }
        if (err == ERR_OK && lease == 0) {
            err = take_lease(task, ctl, key, &arena, &lease, diag);
        }
        if (err == ERR_OK && lease != 0) {
            err = take_step(task, router, ctl, key, &arena, &over, diag);
            rest(task, router);
        } else if (err == ERR_OK) { /* another does it, for us, too */
            struct ctl_entry entry;
            err = ctl_get(task, ctl, key, &arena, &entry, diag);
            over = err == ERR_OK && entry.value == NULL;
            task_park(task, now + WAIT_US);
        }
        err = err == ERR_OK ? task_interrupted(task, diag) : err;
    }
    if (lease != 0) {
        struct diag ignored;
        (void)!(ctl_lease_revoke(task, ctl, lease, &ignored) == ERR_OK);
    }
    arena_destroy(&arena);
    return err;
}

/* What a statement says has failed nobody goes on with. */
static void
give_up(struct task *task, struct ctl *ctl, const char *key, struct arena *arena)
{
    struct diag ignored;
    bool done = false;
    task_interrupt_clear(task, TASK_CANCEL);
    for (int tries = 0; !done && tries < GIVE_UP_TRIES_MAX; tries++) {
        struct ctl_entry entry;
        if (ctl_get(task, ctl, key, arena, &entry, &ignored) != ERR_OK || entry.value == NULL ||
            ctl_cas(task, ctl, key, NULL, &entry.version, &done, &ignored) != ERR_OK) {
            return;
        }
    }
}

enum err
cluster_balance(struct task *task, struct router *router, struct sql_session *session,
    const char *drain, struct diag *diag)
{
    struct ctl *ctl = NULL;
    struct arena arena;
    uint64_t version = 0;
    bool done;
    TRY(cluster_require_superuser(task, router, session, "move buckets", diag));
    if (drain != NULL && router_node(router, drain) < 0) {
        TRY(cluster_refresh(task, router, diag)); /* another router has added it, perhaps */
    }
    if (drain != NULL && router_node(router, drain) < 0) {
        return diag_set(diag, ERR_UNDEFINED_OBJECT, "there is no node \"%s\"", drain);
    }
    TRY(cluster_control(task, router, &ctl, diag));
    arena_create(&arena, "plan");
    const char *key = drain == NULL ? SHARD_PLANS_PREFIX "rebalance"
                                    : arena_printf(&arena, SHARD_PLANS_PREFIX "drain/%s", drain);
    enum err err = ctl_cas(task, ctl, key, plan_text(&arena, 0), &version, &done, diag);
    if (err == ERR_OK) {
        err = follow_plan(task, router, ctl, key, diag);
        if (err != ERR_OK && err != ERR_ADMIN_SHUTDOWN) {
            give_up(task, ctl, key, &arena);
        }
    }
    ctl_close(task, ctl);
    arena_destroy(&arena);
    return err;
}

/* ---- tusk_router_plans ----------------------------------------------------------------------- */

enum err
balance_each(struct task *task, struct router *router, struct arena *arena,
    enum err (*each)(void *arg, const char *plan, const char *node, uint64_t moved, uint64_t left),
    void *arg, struct diag *diag)
{
    struct ctl *ctl = NULL;
    struct ctl_entry *plans;
    size_t count = 0;
    TRY(cluster_control(task, router, &ctl, diag));
    enum err err = ctl_list(task, ctl, SHARD_PLANS_PREFIX, arena, &plans, &count, diag);
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        struct shape shape;
        int drained = drained_node(router, plans[i].key);
        err = read_shape(task, router, ctl, arena, &shape, diag);
        if (err == ERR_OK) {
            err = each(arg, drained < 0 ? "rebalance" : "drain",
                drained < 0 ? NULL : router->nodes[drained].name, moved_of(plans[i].value),
                steps_left(&shape, drained));
        }
    }
    ctl_close(task, ctl);
    return err;
}
