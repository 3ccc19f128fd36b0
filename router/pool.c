/*
 * router/pool.c - connections to the shards: kept, shared, bounded.
 *
 * A pool belongs to one worker, one shard, one user and one database; a connection is a client's
 * from its first statement of a transaction to the transaction's end. Who finds none free waits in
 * a queue of bounded length for a bounded time, first come first served.
 *
 * Breaker (of a shard, on one worker): CLOSED; after so many failures to reach it, one after
 * another, OPEN: refused at once, so that nobody's connections and patience are spent on it; after
 * a pause HALF_OPEN: one may try, and what becomes of that decides.
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "router/router.h"

enum {
    PROBE_IDLE_US = 1000000, /* longer idle ones are looked at before they are used */
    WANTED_AGAIN_US = 200000,
};

struct waiter {
    struct list_node node;
    struct task *task;
    struct upstream *upstream; /* handed over */
    bool may_open;             /* or: there is room for a new one */
};

static struct pool *
find_pool(struct worker *worker, uint32_t shard, const char *user, const char *database,
    enum pool_use use)
{
    LIST_FOREACH (node, &worker->pools) {
        struct pool *pool = LIST_ENTRY(node, struct pool, node);
        if (pool->shard_number == shard && pool->use == use && strcmp(pool->user, user) == 0 &&
            strcmp(pool->database, database) == 0) {
            return pool;
        }
    }
    struct pool *pool = mem_zalloc(sizeof *pool);
    pool->worker = worker;
    pool->use = use;
    pool->shard = &worker->router->nodes[shard];
    pool->shard_number = shard;
    pool->user = mem_strdup(user);
    pool->database = mem_strdup(database);
    list_init(&pool->idle);
    list_init(&pool->waiters);
    list_push_back(&worker->pools, &pool->node);
    return pool;
}

struct pool *
pool_of(struct worker *worker, uint32_t shard, const char *user, const char *database)
{
    return find_pool(worker, shard, user, database, POOL_CLIENTS);
}

struct pool *
pool_of_sagas(struct worker *worker, uint32_t shard, const char *user, const char *database)
{
    return find_pool(worker, shard, user, database, POOL_SAGAS);
}

struct pool *
pool_of_listeners(struct worker *worker, uint32_t shard, const char *user, const char *database)
{
    return find_pool(worker, shard, user, database, POOL_LISTENERS);
}

/* ---- the breaker ------------------------------------------------------------------------------
 */

void
breaker_note(struct worker *worker, uint32_t shard, bool fine)
{
    struct breaker *breaker = &worker->breakers[shard];
    const struct router_limits *limits = &worker->router->limits;
    if (fine) {
        breaker->state = BREAKER_CLOSED;
        breaker->failures = 0;
        return;
    }
    breaker->failures++;
    if (breaker->state == BREAKER_HALF_OPEN || breaker->failures >= limits->breaker_failures) {
        if (breaker->state != BREAKER_OPEN) {
            breaker->opened++;
            world_log(worker->router->world,
                "shard \"%s\" cannot be reached: its breaker opens (%s)",
                worker->router->nodes[shard].name, breaker->last_failure);
        }
        breaker->state = BREAKER_OPEN;
        breaker->retry_us = world_clock_us(worker->router->world) + limits->breaker_pause_us;
    }
}

static enum err
pass_breaker(struct worker *worker, uint32_t shard, struct diag *diag)
{
    struct breaker *breaker = &worker->breakers[shard];
    if (breaker->state == BREAKER_CLOSED) {
        return ERR_OK;
    }
    if (breaker->state == BREAKER_OPEN &&
        world_clock_us(worker->router->world) >= breaker->retry_us) {
        breaker->state = BREAKER_HALF_OPEN;
        return ERR_OK;
    }
    breaker->refused++;
    (void)diag_set(diag, ERR_SHARD_UNREACHABLE, "shard \"%s\" cannot be reached",
        worker->router->nodes[shard].name);
    if (breaker->last_failure[0] != '\0') {
        diag_detail(diag, "%s", breaker->last_failure);
    }
    diag_hint(diag, "Its breaker is open; tusk_router_breakers shows when it is tried again.");
    return ERR_SHARD_UNREACHABLE;
}

/* ---- taking and giving back --------------------------------------------------------------------
 */

/* What a view and the log tell of it. */
static void
note_failure(struct breaker *breaker, const struct diag *diag)
{
    (void)snprintf(breaker->last_failure, sizeof breaker->last_failure, "%s%s%s", diag->message,
        diag->detail[0] == '\0' ? "" : ": ", diag->detail);
}

static enum err
refuse_login(const struct pool *pool, struct diag *diag)
{
    (void)diag_set(diag, ERR_SHARD_LOGIN, "shard \"%s\" does not let the router in as user \"%s\"",
        pool->shard->name, pool->user);
    diag_detail(diag, "%s", pool->login_failure);
    return ERR_SHARD_LOGIN;
}

/* A password that is wrong will be wrong the next time, and each attempt costs both sides: until a
 * pause is over nobody tries again. It is the user's matter, not the shard's: others go on. */
static void
note_login(struct pool *pool, enum err err, const struct diag *diag)
{
    struct worker *worker = pool->worker;
    if (err != ERR_SHARD_LOGIN) {
        if (err == ERR_OK) {
            mem_free(pool->login_failure);
            pool->login_failure = NULL;
        }
        return;
    }
    if (pool->login_failure == NULL || strcmp(pool->login_failure, diag->detail) != 0) {
        world_log(worker->router->world, "%s: %s", diag->message, diag->detail);
        mem_free(pool->login_failure);
        pool->login_failure = mem_strdup(diag->detail);
    }
    worker->breakers[pool->shard_number].logins_refused++;
    pool->login_retry_us =
        world_clock_us(worker->router->world) + worker->router->limits.breaker_pause_us;
}

/* The pool's count includes the one to be opened. */
static enum err
open_one(struct task *task, struct pool *pool, struct upstream **upstream, struct diag *diag)
{
    struct worker *worker = pool->worker;
    struct breaker *breaker = &worker->breakers[pool->shard_number];
    struct diag own; /* the caller's may still say why something before it failed */
    diag_clear(&own);
    enum err err =
        upstream_open(task, pool, worker->router->limits.connect_timeout_us, upstream, &own);
    note_login(pool, err, &own);
    if (err == ERR_SHARD_LOGIN || err == ERR_SHARD_UNREACHABLE) {
        note_failure(breaker, &own);
    }
    if (err != ERR_OK && diag != NULL) {
        *diag = own;
    }
    if (err == ERR_OK || err == ERR_SHARD_UNREACHABLE) {
        breaker_note(worker, pool->shard_number, err == ERR_OK);
    } else if (breaker->state == BREAKER_HALF_OPEN) {
        breaker->state = BREAKER_CLOSED; /* it has answered */
    }
    return err;
}

/* A place in the pool is free: somebody who waits may open a connection for himself. */
static void
give_place(struct pool *pool)
{
    struct list_node *node = list_pop_front(&pool->waiters);
    if (node == NULL) {
        pool->count--;
        return;
    }
    struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
    pool->waiter_count--;
    waiter->may_open = true;
    task_unpark(waiter->task);
}

static enum err
wait_in_queue(struct task *task, struct pool *pool, struct upstream **upstream, bool *may_open,
    struct diag *diag)
{
    const struct router_limits *limits = &pool->worker->router->limits;
    if (pool->waiter_count >= limits->queue_size) {
        pool->refused++;
        return diag_set(diag, ERR_TOO_MANY_CONNECTIONS,
            "too many clients wait for a connection to shard \"%s\"", pool->shard->name);
    }
    struct waiter waiter = {.task = task};
    int64_t start = world_clock_us(pool->worker->router->world);
    int64_t deadline = start + limits->queue_timeout_us;
    list_push_back(&pool->waiters, &waiter.node);
    pool->waiter_count++;
    pool->waited++;
    enum err err = ERR_OK;
    while (waiter.upstream == NULL && !waiter.may_open && err == ERR_OK) {
        task_park(task, deadline);
        if (waiter.upstream != NULL || waiter.may_open) {
            break;
        }
        err = task_interrupted(task, diag);
        if (err == ERR_OK && world_clock_us(pool->worker->router->world) >= deadline) {
            pool->refused++;
            err = diag_set(diag, ERR_TOO_MANY_CONNECTIONS,
                "timed out waiting for a connection to shard \"%s\"", pool->shard->name);
        }
        if (err != ERR_OK) {
            list_remove(&waiter.node);
            pool->waiter_count--;
        }
    }
    task_interrupt_clear(task, TASK_CANCEL);
    pool->waited_us += world_clock_us(pool->worker->router->world) - start;
    *upstream = waiter.upstream;
    *may_open = waiter.may_open;
    return err;
}

void
pool_forget(struct upstream **last)
{
    if (*last != NULL) {
        (*last)->last_of = NULL;
        *last = NULL;
    }
}

static void
remember(struct upstream **last, struct upstream *upstream)
{
    if (last != NULL && *last != upstream) {
        pool_forget(last);
        if (upstream->last_of != NULL) {
            pool_forget(upstream->last_of);
        }
        *last = upstream;
        upstream->last_of = last;
    }
}

/* Who had one before gets it again. Else the one that was idle for longest, if nobody who is at
 * work will soon want it; with all in use at such a pace another is opened, as far as the pool may
 * grow. */
static struct upstream *
take_idle(struct pool *pool, struct upstream **last)
{
    struct upstream *own = last == NULL ? NULL : *last;
    struct upstream *upstream = own;
    if (own == NULL || own->pool != pool || !own->idle) {
        if (list_empty(&pool->idle)) {
            return NULL;
        }
        upstream = LIST_ENTRY(pool->idle.prev, struct upstream, node);
        int64_t rest = world_clock_us(pool->worker->router->world) - upstream->idle_since;
        if (last != NULL && upstream->last_of != NULL && rest < WANTED_AGAIN_US &&
            pool->count < pool->worker->router->limits.pool_size) {
            return NULL;
        }
    }
    list_remove(&upstream->node);
    upstream->idle = false;
    pool->idle_count--;
    return upstream;
}

enum err
pool_acquire(struct task *task, struct pool *pool, struct upstream **last,
    struct upstream **upstream_out, struct diag *diag)
{
    const struct router *router = pool->worker->router;
    pool->served++;
    for (;;) {
        struct upstream *upstream = take_idle(pool, last);
        if (upstream == NULL) {
            break;
        }
        if (world_clock_us(router->world) - upstream->idle_since < PROBE_IDLE_US ||
            upstream_sound(task, upstream)) {
            remember(last, upstream);
            *upstream_out = upstream;
            return ERR_OK;
        }
        upstream->broken = true;
        upstream_close(task, upstream);
        pool->count--;
    }
    if (pool->login_failure != NULL && world_clock_us(router->world) < pool->login_retry_us) {
        return refuse_login(pool, diag);
    }
    TRY(pass_breaker(pool->worker, pool->shard_number, diag));
    struct upstream *upstream = NULL;
    bool may_open = pool->count < router->limits.pool_size;
    if (may_open) {
        pool->count++;
    } else {
        TRY(wait_in_queue(task, pool, &upstream, &may_open, diag));
    }
    if (may_open) {
        enum err err = open_one(task, pool, &upstream, diag);
        if (err != ERR_OK) {
            give_place(pool);
            return err;
        }
    }
    remember(last, upstream);
    *upstream_out = upstream;
    return ERR_OK;
}

void
pool_release(struct task *task, struct upstream *upstream)
{
    struct pool *pool = upstream->pool;
    bool sound = !upstream->broken && upstream->status == 'I' && upstream->out.size == 0 &&
                 upstream->at == upstream->in.size &&
                 upstream->prepared_count <= pool->worker->router->limits.prepared_max;
    if (!sound) {
        if (upstream->lost) {
            breaker_note(pool->worker, pool->shard_number, false);
        }
        upstream_close(task, upstream);
        give_place(pool);
        return;
    }
    struct list_node *node = list_pop_front(&pool->waiters);
    if (node != NULL) {
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        pool->waiter_count--;
        waiter->upstream = upstream;
        task_unpark(waiter->task);
        return;
    }
    upstream->idle_since = world_clock_us(pool->worker->router->world);
    upstream->idle = true;
    list_push_front(&pool->idle, &upstream->node);
    pool->idle_count++;
}

void
worker_close(struct task *task, struct worker *worker)
{
    buffer_destroy(&worker->rounds.list);
    for (struct list_node *at = list_pop_front(&worker->pools); at != NULL;
         at = list_pop_front(&worker->pools)) {
        struct pool *pool = LIST_ENTRY(at, struct pool, node);
        ASSERT(pool->count == pool->idle_count);
        for (struct list_node *node = list_pop_front(&pool->idle); node != NULL;
             node = list_pop_front(&pool->idle)) {
            upstream_close(task, LIST_ENTRY(node, struct upstream, node));
        }
        mem_free(pool->user);
        mem_free(pool->database);
        mem_free(pool->login_failure);
        mem_free(pool);
    }
}
