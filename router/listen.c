/*
 * router/listen.c - LISTEN and NOTIFY: what the nodes tell, to who listens here.
 *
 * LISTEN and UNLISTEN are the client's session's, as on a server: its channels, its inbox. For each
 * database in which anybody listens there is a task for each node, with a connection that listens
 * to all those channels; what it hears goes into the inboxes.
 *
 *   L1. A LISTEN is answered when every node that can be reached has taken it: what any transaction
 *       notifies that commits after the answer is heard. A node that cannot be reached in
 *       HEAR_WAIT_US is named in a warning.
 *   L2. What a node's commit notifies is heard once, in the node's order: there is one connection
 * for a node and a database, and it hears whole transactions or nothing. L3. Whoever might have
 * missed something is told: a connection that was lost and is back is followed by a warning to all
 * who listen in that database. A silent one is asked every PING_US, and is lost if it does not
 * answer until the next time. L4. What a session notifies goes with its block's node, in the
 * block's transaction there. Without a node, or by a function that the session runs, it is sent to
 * the first node after the session's commit; if that fails the client is told, for it has been
 * committed.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/latch.h"
#include "base/mem.h"
#include "parser/parser.h"
#include "router/router.h"
#include "sql/plan/plan.h"

enum {
    PING_US = 5000000,
    HEAR_WAIT_US = 3000000,
    LOOK_PAUSE_US = 2000,
    AGAIN_PAUSE_US = 200000, /* at first; doubles */
    AGAIN_DOUBLINGS = 4,
};

struct listener {
    struct list_node node; /* listeners->all */
    struct listeners *listeners;
    struct task *task; /* once it runs */
    uint32_t shard;
    char *database;
    uint64_t heard; /* the wishes that its node has taken; all under the latch */
    bool away;      /* the last attempt has failed */
};

struct listeners {
    struct router *router;
    _Atomic bool closing;
    struct latch latch;
    struct list_node all;
    uint64_t wishes; /* counts changes */
};

/* ---- a node's ears -----------------------------------------------------------------------------
 */

static void
put_channel(void *arg, const char *channel)
{
    struct buffer *text = arg;
    struct arena arena;
    arena_create(&arena, "channel");
    buffer_printf(text, "; LISTEN %s", parser_quote_ident(&arena, channel));
    arena_destroy(&arena);
}

static uint64_t
wishes_of(struct listeners *listeners)
{
    latch_acquire(&listeners->latch);
    uint64_t wishes = listeners->wishes;
    latch_release(&listeners->latch);
    return wishes;
}

static void
note(struct listener *listener, uint64_t heard, bool away)
{
    latch_acquire(&listener->listeners->latch);
    listener->heard = heard;
    listener->away = away;
    latch_release(&listener->listeners->latch);
}

static void
take(struct listener *listener, const struct upstream_message *message)
{
    const struct router *router = listener->listeners->router;
    if (message->type == 'A') {
        struct wire_reader reader = wire_reader_of(message->body);
        uint32_t pid = wire_get_u32(&reader);
        const char *channel = wire_get_text(&reader);
        const char *payload = wire_get_text(&reader);
        if (!reader.failed) {
            sql_engine_notify(router->engine, listener->database, pid, channel, payload);
        }
    } else if (message->type == 'E') {
        world_log(router->world, "node \"%s\" does not let the router listen: %s",
            router->nodes[listener->shard].name, wire_error_field(message->body, 'M'));
    }
}

static enum err start_missing(struct listeners *listeners, const char *database, struct diag *diag);

static bool
is_wanted(struct listener *listener)
{
    struct buffer text = {0};
    sql_engine_channels(
        listener->listeners->router->engine, listener->database, put_channel, &text);
    bool any = text.size > 0;
    buffer_destroy(&text);
    return any;
}

/* Nothing was heard for long: who listened may have gone, and nodes may have come. */
static bool
look_around(struct listener *listener)
{
    struct listeners *listeners = listener->listeners;
    bool wanted = is_wanted(listener);
    latch_acquire(&listeners->latch);
    if (wanted && !listeners->closing) {
        (void)!start_missing(listeners, listener->database, NULL);
    }
    latch_release(&listeners->latch);
    return wanted;
}

/* Until the connection is lost, nobody listens any more, or the router ends. */
static void
hear(struct task *task, struct listener *listener, struct upstream *upstream)
{
    struct listeners *listeners = listener->listeners;
    struct world *world = listeners->router->world;
    uint64_t sent = 0;
    uint32_t due = 0; /* answers */
    bool asked = false, any = true;
    while (!listeners->closing && !upstream->broken && (any || due > 0)) {
        uint64_t wishes = wishes_of(listeners);
        if (wishes != sent && due == 0) {
            struct buffer text = {0};
            buffer_add_text(&text, "UNLISTEN *");
            size_t before = text.size;
            sql_engine_channels(listeners->router->engine, listener->database, put_channel, &text);
            any = text.size > before;
            upstream_put_query(upstream, text.data, text.size);
            buffer_destroy(&text);
            sent = wishes;
            due++;
            (void)!upstream_flush(task, upstream, NULL);
        }
        int64_t deadline_us = world_clock_us(world) + PING_US;
        if (!upstream_wait(task, upstream, deadline_us, TASK_NOTIFY)) {
            bool woken = world_clock_us(world) < deadline_us;
            task_interrupt_clear(task, TASK_NOTIFY);
            if (!woken && asked) {
                upstream->broken = true;
            } else if (!woken) {
                upstream_put_query(upstream, "SELECT 1", 8);
                (void)!upstream_flush(task, upstream, NULL);
                asked = true;
                due++;
                any = look_around(listener);
            }
            continue;
        }
        struct upstream_message message;
        if (upstream_next(task, upstream, TASK_NOTIFY, &message, NULL) != ERR_OK) {
            continue;
        }
        take(listener, &message);
        if (message.type == 'Z') {
            asked = false;
            due--;
            note(listener, sent, false);
        }
    }
    /* It listens: nobody else's. */
    upstream->broken = true;
}

static enum err
connect(struct task *task, struct listener *listener, struct upstream **upstream, struct diag *diag)
{
    const struct router *router = listener->listeners->router;
    struct worker *worker = &router->workers[task_worker(task)];
    const char *user = sql_config_text(router->config, "router_user");
    return pool_acquire(task, pool_of_listeners(worker, listener->shard, user, listener->database),
        NULL, upstream, diag);
}

static void
listen_main(struct task *task, void *arg)
{
    struct listener *listener = arg;
    struct listeners *listeners = listener->listeners;
    struct router *router = listeners->router;
    const struct router_node *shard = &router->nodes[listener->shard];
    bool before = false;
    int failures = 0;
    latch_acquire(&listeners->latch);
    listener->task = task;
    latch_release(&listeners->latch);
    while (!listeners->closing && !shard->dropped && is_wanted(listener)) {
        struct upstream *upstream = NULL;
        struct diag diag;
        if (connect(task, listener, &upstream, &diag) == ERR_OK) {
            failures = 0;
            if (before) {
                char words[2 * ROUTER_NAME_MAX + 64];
                (void)snprintf(words, sizeof words,
                    "notifications of node \"%s\" may have been missed", shard->name);
                world_log(router->world, "%s: the connection was lost", words);
                sql_engine_notify(router->engine, listener->database, 0, NULL, words);
            }
            before = true;
            hear(task, listener, upstream);
            pool_release(task, upstream);
        }
        bool goes_on = !listeners->closing && is_wanted(listener);
        note(listener, 0, goes_on);
        if (goes_on) {
            int64_t until = world_clock_us(router->world) +
                            ((int64_t)AGAIN_PAUSE_US
                                << (failures < AGAIN_DOUBLINGS ? failures : AGAIN_DOUBLINGS));
            failures++;
            while (!listeners->closing && world_clock_us(router->world) < until) {
                task_park(task, until);
                task_interrupt_clear(task, TASK_NOTIFY);
            }
        }
    }
    latch_acquire(&listeners->latch);
    list_remove(&listener->node);
    latch_release(&listeners->latch);
    mem_free(listener->database);
    mem_free(listener);
}

/* ---- who listens -------------------------------------------------------------------------------
 */

/* Under the latch. */
static struct listener *
find(const struct listeners *listeners, uint32_t shard, const char *database)
{
    LIST_FOREACH (node, &listeners->all) {
        struct listener *listener = LIST_ENTRY(node, struct listener, node);
        if (listener->shard == shard && strcmp(listener->database, database) == 0) {
            return listener;
        }
    }
    return NULL;
}

/* Under the latch. */
static enum err
start(struct listeners *listeners, uint32_t shard, const char *database, struct diag *diag)
{
    struct listener *listener = mem_zalloc(sizeof *listener);
    listener->listeners = listeners;
    listener->shard = shard;
    listener->database = mem_strdup(database);
    list_push_back(&listeners->all, &listener->node);
    enum err err = task_spawn(
        listeners->router->world, WORLD_ANY_WORKER, "listener", listen_main, listener, diag);
    if (err != ERR_OK) {
        list_remove(&listener->node);
        mem_free(listener->database);
        mem_free(listener);
    }
    return err;
}

/* Under the latch. */
static enum err
start_missing(struct listeners *listeners, const char *database, struct diag *diag)
{
    const struct router *router = listeners->router;
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < router->node_count; i++) {
        if (!router->nodes[i].dropped && find(listeners, i, database) == NULL) {
            err = start(listeners, i, database, diag);
        }
    }
    return err;
}

/* Which node has not taken the wishes yet; -1: all have, or cannot be reached (*away). */
static int
look(struct listeners *listeners, const char *database, uint64_t wishes, bool *away)
{
    const struct router *router = listeners->router;
    int late = -1;
    latch_acquire(&listeners->latch);
    for (uint32_t i = 0; i < router->node_count && late < 0; i++) {
        const struct listener *listener =
            router->nodes[i].dropped ? NULL : find(listeners, i, database);
        away[i] = listener != NULL && listener->away;
        late = listener == NULL || away[i] || listener->heard >= wishes ? -1 : (int)i;
    }
    latch_release(&listeners->latch);
    return late;
}

enum err
listeners_hear(struct task *task, struct router *router, struct sql_session *session, bool wait,
    const char **away_name, struct diag *diag)
{
    struct listeners *listeners = router->listeners;
    const char *database = sql_session_env(session)->database;
    enum err err = ERR_OK;
    *away_name = NULL;
    latch_acquire(&listeners->latch);
    uint64_t wishes = ++listeners->wishes;
    if (wait) {
        err = start_missing(listeners, database, diag);
    }
    LIST_FOREACH (node, &listeners->all) {
        struct listener *listener = LIST_ENTRY(node, struct listener, node);
        if (listener->task != NULL && strcmp(listener->database, database) == 0) {
            task_interrupt(listener->task, TASK_NOTIFY);
        }
    }
    latch_release(&listeners->latch);
    bool away[ROUTER_NODES_MAX] = {false};
    int64_t deadline_us = world_clock_us(router->world) + HEAR_WAIT_US;
    while (err == ERR_OK && wait) {
        int late = look(listeners, database, wishes, away);
        if (late < 0) {
            break;
        }
        if (world_clock_us(router->world) >= deadline_us) {
            away[late] = true;
            break;
        }
        task_park(task, world_clock_us(router->world) + LOOK_PAUSE_US);
        err = task_interrupted(task, diag);
    }
    for (uint32_t i = 0; i < router->node_count; i++) {
        *away_name = away[i] ? router->nodes[i].name : *away_name;
    }
    return err;
}

enum err
listeners_tell(struct task *task, struct router *router, struct sql_session *session,
    const char *channel, const char *payload, struct diag *diag)
{
    const struct eval_env *env = sql_session_env(session);
    struct upstream *upstream = NULL;
    struct buffer text = {0};
    TRY(node_acquire(task, &router->workers[task_worker(task)], 0, env->session_user, env->database,
        &upstream, diag));
    buffer_add_text(&text, "SELECT pg_catalog.pg_notify(");
    bool fine = ship_literal(env, TYPE_TEXT, datum_bytes(channel, strlen(channel)), &text);
    buffer_add_text(&text, ", ");
    fine = ship_literal(env, TYPE_TEXT, datum_bytes(payload, strlen(payload)), &text) && fine;
    buffer_add(&text, ")", 2);
    enum err err = fine ? node_query(task, upstream, (const char *)text.data, NULL, NULL, diag)
                        : diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "its text cannot be sent");
    buffer_destroy(&text);
    pool_release(task, upstream);
    return err;
}

void
listeners_create(struct router *router)
{
    router->listeners = mem_zalloc(sizeof *router->listeners);
    router->listeners->router = router;
    list_init(&router->listeners->all);
}

void
listeners_close(struct task *task, struct router *router)
{
    struct listeners *listeners = router->listeners;
    bool all = listeners == NULL;
    while (!all) {
        listeners->closing = true;
        latch_acquire(&listeners->latch);
        LIST_FOREACH (node, &listeners->all) {
            struct listener *listener = LIST_ENTRY(node, struct listener, node);
            if (listener->task != NULL) {
                task_interrupt(listener->task, TASK_NOTIFY);
            }
        }
        all = list_empty(&listeners->all);
        latch_release(&listeners->latch);
        if (!all) {
            task_park(task, world_clock_us(router->world) + LOOK_PAUSE_US);
        }
    }
    mem_free(listeners);
    router->listeners = NULL;
}
