/*
 * router/settled.c - which sagas are open: before a statement that is to pass over them.
 *
 * All nodes are asked for their clocks, and the newest is the moment T; then all are asked, as of
 * T, which sagas are open whose home they are. T and the list go with the statement, and a node
 * passes over what those on the list have done there (saga/README.md, "Settled reads over several
 * nodes"). What has ended before a statement came is stamped before T, for its home's clock is
 * among those that were asked since.
 *
 * Clients of one worker share a round: who comes while one is under way waits for the next, which
 * serves all who have come by then.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "router/router.h"
#include "shard/route.h"
#include "shard/settled.h"

enum {
    WAIT_US = 1000 * 1000,
    ASK_AGAIN_MAX = 100,
    ASK_AGAIN_US = 10 * 1000,
};

bool
settled_wanted(struct sql_session *session)
{
    const char *reads = sql_session_setting(session, "tusk.saga_reads");
    return reads != NULL && strcmp(reads, "settled") == 0;
}

/* ---- asking ------------------------------------------------------------------------------------
 */

struct merging {
    struct arena *arena;
    struct shard_settled all;
    size_t capacity;
    uint32_t version;
};

static enum err
merge(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct merging *merging = arg;
    struct shard_settled *all = &merging->all;
    struct shard_settled some;
    struct slice bytes;
    if (count != 1 || values[0].data == NULL) {
        return diag_set(diag, ERR_PROTOCOL, "a shard sent a row of another width");
    }
    TRY(sagas_read_bytes(merging->arena, values[0], &bytes, diag));
    TRY(shard_settled_decode(merging->arena, bytes, &some, diag));
    if (some.epoch > merging->version) { /* K4: the nodes are known before the version is */
        return diag_set(
            diag, ERR_WRONG_BUCKET, "there are nodes that this router has not heard of");
    }
    all->blind = some.blind > all->blind ? some.blind : all->blind;
    if (all->count + some.count > merging->capacity) {
        merging->capacity = 2 * (all->count + some.count);
        struct shard_open_saga *more = arena_array(merging->arena, merging->capacity, sizeof *more);
        if (all->count > 0) {
            memcpy(more, all->sagas, all->count * sizeof *more);
        }
        all->sagas = more;
    }
    if (some.count > 0) {
        memcpy(all->sagas + all->count, some.sagas, some.count * sizeof *some.sagas);
    }
    all->count += some.count;
    return ERR_OK;
}

enum err
settled_ask(struct task *task, struct upstream **upstreams, uint32_t count, uint64_t moment,
    uint32_t version, struct buffer *list, struct diag *diag)
{
    static const char text[] = "SELECT tusk_saga_open()";
    const struct shard_route route = {.hlc = moment, .read_at = moment};
    struct arena arena;
    arena_create(&arena, "open sagas");
    struct merging merging = {.arena = &arena, .version = version};
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        if (upstreams[i] != NULL) {
            upstream_put_route(upstreams[i], &route);
            upstream_put_query(upstreams[i], text, sizeof text - 1);
            err = upstream_flush(task, upstreams[i], diag);
        }
    }
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        if (upstreams[i] != NULL) {
            err = node_query(task, upstreams[i], NULL, merge, &merging, diag);
        }
    }
    if (err == ERR_OK) {
        list->size = 0;
        merging.all.stamp = moment;
        shard_settled_encode(&merging.all, false, list);
    }
    arena_destroy(&arena);
    return err;
}

void
settled_put(struct upstream *upstream, const struct buffer *list)
{
    size_t start = wire_begin(&upstream->out, SHARD_SETTLED_MESSAGE);
    buffer_add(&upstream->out, list->data, list->size);
    wire_end(&upstream->out, start);
}

/* ---- a round -----------------------------------------------------------------------------------
 */

struct nodes {
    struct upstream *upstreams[ROUTER_NODES_MAX];
    uint32_t count;
    uint32_t version; /* of the schema: it was known before they were counted */
};

/* After an error answers may be on their way. */
static void
give_back(struct task *task, struct nodes *nodes, bool fine)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (nodes->upstreams[i] != NULL) {
            nodes->upstreams[i]->broken |= !fine;
            pool_release(task, nodes->upstreams[i]);
            nodes->upstreams[i] = NULL;
        }
    }
}

static enum err
take_all(struct task *task, struct worker *worker, struct nodes *nodes, struct diag *diag)
{
    struct router *router = worker->router;
    *nodes = (struct nodes){.version = cluster_schema_version(router->cluster)};
    nodes->count = router->node_count;
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (!router->nodes[i].dropped) {
            TRY(cluster_connect(task, router, i, &nodes->upstreams[i], diag));
        }
    }
    return ERR_OK;
}

static enum err
ask_clocks(struct task *task, struct nodes *nodes, uint64_t *moment, struct diag *diag)
{
    static const char text[] = "SELECT tusk_hlc()";
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (nodes->upstreams[i] != NULL) {
            upstream_put_query(nodes->upstreams[i], text, sizeof text - 1);
            TRY(upstream_flush(task, nodes->upstreams[i], diag));
        }
    }
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (nodes->upstreams[i] != NULL) {
            TRY(node_query(task, nodes->upstreams[i], NULL, remote_note_clock, moment, diag));
        }
    }
    return ERR_OK;
}

static enum err
ask_once(struct task *task, struct worker *worker, struct buffer *list, struct diag *diag)
{
    struct nodes nodes;
    uint64_t moment = 0;
    enum err err = take_all(task, worker, &nodes, diag);
    bool idle = err != ERR_OK;
    if (err == ERR_OK) {
        err = ask_clocks(task, &nodes, &moment, diag);
    }
    if (err == ERR_OK) {
        err = settled_ask(task, nodes.upstreams, nodes.count, moment, nodes.version, list, diag);
    }
    give_back(task, &nodes, err == ERR_OK || idle);
    return err;
}

/* A slot's bucket on its way is there again in a moment; so is what this router has not heard. */
static enum err
ask(struct task *task, struct worker *worker, struct buffer *list, struct diag *diag)
{
    enum err err = ask_once(task, worker, list, diag);
    for (int i = 0; (err == ERR_BUCKET_MOVING || err == ERR_WRONG_BUCKET) && i < ASK_AGAIN_MAX;
         i++) {
        struct diag ignored;
        task_sleep(task, ASK_AGAIN_US);
        (void)!cluster_refresh(task, worker->router, &ignored);
        err = ask_once(task, worker, list, diag);
    }
    return err;
}

struct waiter {
    struct list_node node;
    struct task *task;
};

static void
wake(struct settled_rounds *rounds)
{
    LIST_FOREACH (node, &rounds->waiters) {
        task_unpark(LIST_ENTRY(node, struct waiter, node)->task);
    }
}

static enum err
wait_for_round(struct task *task, struct worker *worker, struct diag *diag)
{
    struct settled_rounds *rounds = &worker->rounds;
    struct waiter waiter = {.task = task};
    list_push_back(&rounds->waiters, &waiter.node);
    task_park(task, world_clock_us(worker->router->world) + WAIT_US);
    list_remove(&waiter.node);
    return task_interrupted(task, diag);
}

enum err
settled_learn(struct task *task, struct worker *worker, struct buffer *list, struct diag *diag)
{
    struct settled_rounds *rounds = &worker->rounds;
    uint64_t need = rounds->begun + 1; /* the one under way may have asked before we came */
    while (rounds->done < need) {
        if (rounds->running) {
            TRY(wait_for_round(task, worker, diag));
            continue;
        }
        uint64_t number = ++rounds->begun;
        rounds->running = true;
        enum err err = ask(task, worker, &rounds->list, diag);
        rounds->running = false;
        rounds->done = err == ERR_OK ? number : rounds->done;
        wake(rounds);
        TRY(err);
    }
    list->size = 0;
    buffer_add(list, rounds->list.data, rounds->list.size);
    return ERR_OK;
}

/* ---- what nodes need not keep ------------------------------------------------------------------
 */

static enum err
note_number(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    int64_t one = 0;
    TRY(cluster_read_number(&one, values, count, diag));
    *(int64_t *)arg += one;
    return ERR_OK;
}

static enum err
close_at(struct task *task, struct nodes *nodes, const struct buffer *list, struct diag *diag)
{
    struct buffer text = {0};
    enum err err = ERR_OK;
    buffer_add_text(&text, "SELECT tusk_saga_close('\\x");
    for (size_t i = 0; i < list->size; i++) {
        buffer_printf(&text, "%02x", list->data[i]);
    }
    buffer_add_text(&text, "')");
    buffer_add_u8(&text, 0);
    for (uint32_t i = 0; err == ERR_OK && i < nodes->count; i++) {
        if (nodes->upstreams[i] != NULL) {
            err = node_query(task, nodes->upstreams[i], (const char *)text.data, NULL, NULL, diag);
        }
    }
    buffer_destroy(&text);
    return err;
}

/* Any router tells all nodes, now and then, which sagas are open, so that they forget the others.
 * As long as one node cannot be asked none forgets. */
enum err
settled_close(struct task *task, struct worker *worker, struct diag *diag)
{
    struct nodes nodes;
    struct buffer list = {0};
    int64_t joined = 0;
    uint64_t moment = 0;
    enum err err = take_all(task, worker, &nodes, diag);
    bool idle = err != ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < nodes.count; i++) {
        if (nodes.upstreams[i] != NULL) {
            err = node_query(
                task, nodes.upstreams[i], "SELECT tusk_saga_joined()", note_number, &joined, diag);
        }
    }
    if (err == ERR_OK && joined > 0) {
        err = ask_clocks(task, &nodes, &moment, diag);
        if (err == ERR_OK) {
            err =
                settled_ask(task, nodes.upstreams, nodes.count, moment, nodes.version, &list, diag);
        }
        if (err == ERR_OK) {
            err = close_at(task, &nodes, &list, diag);
        }
    }
    buffer_destroy(&list);
    give_back(task, &nodes, err == ERR_OK || idle);
    return err;
}
