/*
 * router/views.c - tusk_router_refusals, tusk_router_pools, tusk_router_breakers.
 *
 * Pools belong to their workers, so each worker's are noted down by a task of its own while the one
 * that asks waits.
 */
#include "base/mem.h"
#include "router/router.h"
#include "shard/lease.h"

typedef enum err emit_row(void *arg, const struct datum *values);

/* A process is one router. */
static struct router *shown;

static struct datum
text_datum(const char *text)
{
    return datum_bytes(text, strlen(text));
}

static enum err
scan_refusals(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)eval;
    (void)catalog;
    for (size_t i = 0; i < refusal_count; i++) {
        struct datum values[] = {datum_int(refusals[i].number), text_datum(refusals[i].message),
            text_datum(refusals[i].hint)};
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

/* ---- what a worker has ------------------------------------------------------------------------
 */

struct pool_note {
    struct list_node node;
    char *user, *database;
    uint32_t worker, shard, count, idle, waiting;
    uint64_t served, waited, refused;
    int64_t waited_us;
};

struct gathering {
    struct worker *worker;
    uint32_t number;
    struct task *asker;
    struct list_node pools; /* struct pool_note */
    struct breaker breakers[ROUTER_NODES_MAX];
    _Atomic bool done;
};

static void
gather_main(struct task *task, void *arg)
{
    struct gathering *gathering = arg;
    struct task *asker = gathering->asker;
    (void)task;
    LIST_FOREACH (node, &gathering->worker->pools) {
        const struct pool *pool = LIST_ENTRY(node, struct pool, node);
        struct pool_note *note = mem_zalloc(sizeof *note);
        *note = (struct pool_note){
            .user = mem_strdup(pool->user),
            .database = mem_strdup(pool->database),
            .worker = gathering->number,
            .shard = pool->shard_number,
            .count = pool->count,
            .idle = pool->idle_count,
            .waiting = pool->waiter_count,
            .served = pool->served,
            .waited = pool->waited,
            .refused = pool->refused,
            .waited_us = pool->waited_us,
        };
        list_push_back(&gathering->pools, &note->node);
    }
    memcpy(gathering->breakers, gathering->worker->breakers, sizeof gathering->breakers);
    gathering->done = true;
    task_unpark(asker);
}

static enum err
gather(struct task *task, uint32_t number, struct gathering **out, struct diag *diag)
{
    struct gathering *gathering = mem_zalloc(sizeof *gathering);
    gathering->worker = &shown->workers[number];
    gathering->number = number;
    gathering->asker = task;
    list_init(&gathering->pools);
    enum err err =
        task_spawn(shown->world, (int)number, "router view", gather_main, gathering, diag);
    while (err == ERR_OK && !gathering->done) {
        task_park(task, WORLD_NEVER);
    }
    if (err != ERR_OK) {
        mem_free(gathering);
        return err;
    }
    *out = gathering;
    return ERR_OK;
}

static void
gathering_delete(struct gathering *gathering)
{
    for (struct list_node *node = list_pop_front(&gathering->pools); node != NULL;
         node = list_pop_front(&gathering->pools)) {
        struct pool_note *note = LIST_ENTRY(node, struct pool_note, node);
        mem_free(note->user);
        mem_free(note->database);
        mem_free(note);
    }
    mem_free(gathering);
}

static enum err
emit_pools(const struct gathering *gathering, emit_row *emit, void *arg)
{
    LIST_FOREACH (node, &gathering->pools) {
        const struct pool_note *note = LIST_ENTRY(node, struct pool_note, node);
        struct datum values[] = {
            datum_int(note->worker),
            text_datum(shown->nodes[note->shard].name),
            text_datum(note->user),
            text_datum(note->database),
            datum_int(note->count),
            datum_int(note->idle),
            datum_int(note->waiting),
            datum_int((int64_t)note->served),
            datum_int((int64_t)note->waited),
            datum_float((double)note->waited_us / 1000),
            datum_int((int64_t)note->refused),
        };
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

static enum err
emit_breakers(const struct gathering *gathering, emit_row *emit, void *arg)
{
    static const char *const names[] = {"closed", "open", "half-open"};
    int64_t now = world_clock_us(shown->world);
    for (uint32_t i = 0; i < shown->node_count; i++) {
        const struct breaker *breaker = &gathering->breakers[i];
        if (shown->nodes[i].dropped) {
            continue;
        }
        bool open = breaker->state == BREAKER_OPEN;
        int64_t left = open && breaker->retry_us > now ? breaker->retry_us - now : 0;
        struct datum values[] = {
            datum_int(gathering->number),
            text_datum(shown->nodes[i].name),
            text_datum(names[breaker->state]),
            datum_int(breaker->failures),
            datum_int((int64_t)breaker->opened),
            datum_int((int64_t)breaker->refused),
            open ? datum_float((double)left / 1000) : datum_null(),
            datum_int((int64_t)breaker->logins_refused),
            breaker->last_failure[0] != '\0' ? text_datum(breaker->last_failure) : datum_null(),
        };
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

static enum err
scan_workers(struct eval *eval, emit_row *emit, void *arg,
    enum err (*emit_all)(const struct gathering *gathering, emit_row *emit, void *arg))
{
    for (uint32_t i = 0; i < world_worker_count(shown->world); i++) {
        struct gathering *gathering = NULL;
        TRY(gather(eval->task, i, &gathering, eval->diag));
        enum err err = emit_all(gathering, emit, arg);
        gathering_delete(gathering);
        TRY(err);
    }
    return ERR_OK;
}

static enum err
scan_pools(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    return scan_workers(eval, emit, arg, emit_pools);
}

static enum err
scan_breakers(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    return scan_workers(eval, emit, arg, emit_breakers);
}

/* Null: the node has none. */
static struct datum
lease_epoch(const struct ctl_entry *leases, size_t count, const struct router_node *node)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(leases[i].key + strlen(SHARD_NODES_PREFIX), node->name) == 0) {
            return datum_int((int64_t)leases[i].version);
        }
    }
    return datum_null();
}

/* Of a router of one node: none, it knows no cluster. */
static enum err
scan_nodes(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    struct ctl_entry *leases = NULL;
    size_t lease_count = 0;
    if (shown->cluster != NULL && sql_config_text(shown->config, "router_control")[0] != '\0') {
        struct ctl *ctl = NULL;
        TRY(cluster_control(eval->task, shown, &ctl, eval->diag));
        enum err err = ctl_list(
            eval->task, ctl, SHARD_NODES_PREFIX, eval->arena, &leases, &lease_count, eval->diag);
        ctl_close(eval->task, ctl);
        TRY(err);
    }
    for (uint32_t i = 0; shown->cluster != NULL && i < shown->node_count; i++) {
        const struct router_node *node = &shown->nodes[i];
        if (!node->dropped) {
            struct datum values[] = {text_datum(node->name), text_datum(node->host),
                datum_int(node->port), lease_epoch(leases, lease_count, node), datum_null()};
            TRY(emit(arg, values));
        }
    }
    return ERR_OK;
}

/* What all nodes say of moves; who cannot be asked says nothing. */
struct moves {
    struct arena *arena;
    struct datum (*rows)[9];
    size_t count;
};
enum {
    MOVES_MAX = 1000,
};

static enum err
take_move(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct moves *moves = arg;
    static const bool is_text[9] = {[0] = true, [4] = true, [5] = true};
    if (count != 9 || moves->count == MOVES_MAX) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct datum *to = &moves->rows[moves->count][i];
        if (is_text[i]) {
            *to = datum_bytes(
                arena_copy(moves->arena, values[i].data, values[i].size), values[i].size);
        } else {
            int64_t number = 0;
            TRY(cluster_read_number(&number, values + i, 1, diag));
            *to = datum_int(number);
        }
    }
    moves->count++;
    return ERR_OK;
}

static enum err
scan_moves(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    struct moves moves = {.arena = eval->arena};
    moves.rows = arena_array(eval->arena, MOVES_MAX, sizeof *moves.rows);
    for (uint32_t i = 0; shown->cluster != NULL && i < shown->node_count; i++) {
        struct diag ignored;
        if (!shown->nodes[i].dropped) {
            (void)(cluster_at_node(eval->task, shown, i, "SELECT * FROM pg_catalog.tusk_moves",
                       take_move, &moves, &ignored) == ERR_OK);
        }
    }
    for (size_t i = 0; i < moves.count; i++) {
        TRY(emit(arg, moves.rows[i]));
    }
    return ERR_OK;
}

struct plans {
    emit_row *emit;
    void *arg;
};

static enum err
emit_plan(void *arg, const char *plan, const char *node, uint64_t moved, uint64_t left)
{
    const struct plans *plans = arg;
    struct datum values[] = {text_datum(plan), node == NULL ? datum_null() : text_datum(node),
        datum_int((int64_t)moved), datum_int((int64_t)left)};
    return plans->emit(plans->arg, values);
}

static enum err
scan_plans(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    struct plans plans = {emit, arg};
    return shown->cluster == NULL
               ? ERR_OK
               : balance_each(eval->task, shown, eval->arena, emit_plan, &plans, eval->diag);
}

static enum err
scan_prepared(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    return client_prepared(&shown->workers[task_worker(eval->task)], eval, emit, arg);
}

void
router_views_register(struct router *router)
{
    shown = router;
    catalog_set_virtual_scan("tusk_router_refusals", scan_refusals);
    catalog_set_virtual_scan("tusk_router_pools", scan_pools);
    if (router->cluster == NULL) {
        catalog_set_virtual_scan("pg_prepared_statements", scan_prepared);
    }
    catalog_set_virtual_scan("tusk_nodes", scan_nodes);
    catalog_set_virtual_scan("tusk_moves", scan_moves);
    catalog_set_virtual_scan("tusk_router_breakers", scan_breakers);
    catalog_set_virtual_scan("tusk_router_plans", scan_plans);
}
