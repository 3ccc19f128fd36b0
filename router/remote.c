/*
 * router/remote.c - rows of several shards, for a query that the router's own engine runs.
 *
 * The engine plans the query over its empty tables; what nodes can do of it stands in the plan as
 * queries for them (sql/plan/ship.c), whose rows are asked for once, when the engine comes to them.
 * All shards are read as of one moment, the newest among their clocks when the statement begins, in
 * a read-only transaction each that lasts as long as the statement. Where the conditions on the
 * shard column leave some buckets only, their nodes are asked, and check that they have them.
 *
 * Bounded by router_pull_size.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "router/router.h"
#include "shard/route.h"
#include "sql/catalog/sharding.h"

enum {
    RETRY_PAUSE_US = 5000, /* at first; doubles */
    ELSEWHERE_MAX = 50,    /* a bucket that is on its way stops for a moment only */
};

/* ---- the moment --------------------------------------------------------------------------------
 */

static enum err
note_clock(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    (void)diag;
    uint64_t *moment = arg;
    char number[24] = "";
    if (count == 1 && values[0].size < sizeof number) {
        memcpy(number, values[0].data, values[0].size);
        uint64_t there = strtoull(number, NULL, 10);
        *moment = there > *moment ? there : *moment;
    }
    return ERR_OK;
}

static void
put_route(struct remote_cut *cut, struct upstream *upstream, struct shard_route *route)
{
    route->hlc = route->read_at = cut->moment;
    size_t start = wire_begin(&upstream->out, SHARD_ROUTE_MESSAGE);
    shard_route_encode(route, &upstream->out);
    wire_end(&upstream->out, start);
}

/* In connections of the router's own user: what the client's may see was judged by this engine. */
static enum err
open_nodes(struct task *task, struct remote_cut *cut, struct diag *diag)
{
    static const char begin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    struct router *router = cut->worker->router;
    uint64_t moment = 0;
    cut->node_count = router->node_count;
    for (uint32_t i = 0; i < cut->node_count; i++) {
        if (!router->nodes[i].dropped) {
            TRY(node_acquire(task, cut->worker, i, cluster_user(router),
                sql_session_env(cut->session)->database, &cut->upstreams[i], diag));
        }
    }
    for (uint32_t i = 0; i < cut->node_count; i++) {
        if (cut->upstreams[i] != NULL) {
            upstream_put_query(cut->upstreams[i], "SELECT tusk_hlc()", 17);
            upstream_put_query(cut->upstreams[i], begin, sizeof begin - 1);
            TRY(upstream_flush(task, cut->upstreams[i], diag));
        }
    }
    for (uint32_t i = 0; i < cut->node_count; i++) {
        if (cut->upstreams[i] != NULL) {
            TRY(node_query(task, cut->upstreams[i], NULL, note_clock, &moment, diag));
            TRY(node_query(task, cut->upstreams[i], NULL, NULL, NULL, diag));
        }
    }
    cut->moment = moment;
    return ERR_OK;
}

static enum err
begin_cut(struct task *task, struct remote_cut *cut, struct diag *diag)
{
    TRY(sagas_may_read(cut->session, diag));
    enum err err = open_nodes(task, cut, diag);
    for (uint32_t i = 0; err != ERR_OK && i < cut->node_count; i++) {
        if (cut->upstreams[i] != NULL) {
            cut->upstreams[i]->broken = true; /* an answer may be on its way */
        }
    }
    if (err != ERR_OK) {
        remote_end(task, cut);
    }
    return err;
}

void
remote_end(struct task *task, struct remote_cut *cut)
{
    for (uint32_t i = 0; i < cut->node_count; i++) {
        struct upstream *upstream = cut->upstreams[i];
        if (upstream == NULL) {
            continue;
        }
        cut->upstreams[i] = NULL;
        struct diag ignored;
        if (!upstream->broken && upstream->status != 'I' &&
            node_query(task, upstream, "ROLLBACK", NULL, NULL, &ignored) != ERR_OK) {
            upstream->broken = true;
        }
        pool_release(task, upstream);
    }
    cut->moment = 0;
    cut->pulled = 0;
    cut->scans = 0;
}

/* ---- the text ----------------------------------------------------------------------------------
 */

/* False: a value cannot be written down. */
static bool
put_query(const struct exec_remote_scan *scan, const struct eval_env *env, struct buffer *to)
{
    struct buffer marked = {0};
    bool fine = true;
    ship_text(scan->query, false, &marked);
    for (size_t i = 0; i < marked.size; i++) {
        if (marked.data[i] != REMOTE_PARAM) {
            buffer_add_u8(to, marked.data[i]);
            continue;
        }
        uint32_t numbers[2] = {0}, at = 0;
        for (i++; marked.data[i] != REMOTE_PARAM; i++) {
            if (marked.data[i] == ':') {
                at = 1;
            } else {
                numbers[at] = 10 * numbers[at] + (uint32_t)(marked.data[i] - '0');
            }
        }
        fine = fine && ship_literal(env, numbers[1], scan->params[numbers[0]], to);
    }
    buffer_destroy(&marked);
    return fine;
}

/* ---- which nodes -------------------------------------------------------------------------------
 */

/* The nodes to ask, and what they are told of buckets: nothing if all are asked. */
struct places {
    bool ask[ROUTER_NODES_MAX];
    uint32_t count;
    struct shard_route_group groups[ROUTER_NODES_MAX]; /* range_count 0: none is named */
};

static bool
value_of(const struct expr *expr, const struct datum *params, struct datum *value)
{
    if (expr->kind == EXPR_CONST) {
        *value = expr->constant;
        return true;
    }
    if (params != NULL) {
        *value = params[expr->param];
    }
    return params != NULL;
}

/* Buckets that rows passing this condition can be in, as bits. False: it says nothing. */
static bool
buckets_of(struct arena *arena, const struct plan_remote *query, const struct plan_remote_key *key,
    const struct datum *params, bool *bits)
{
    const struct sharding *sharding = query->sharded->sharding;
    const struct shard_scheme *scheme = &sharding->scheme;
    const struct column *column = &query->sharded->columns[sharding->column];
    const struct route_key like = {.type = column->type};
    if (key->compare != REMOTE_ANY_OF && scheme->kind != SHARD_RANGE) {
        return false;
    }
    for (uint32_t i = 0; i < key->value_count; i++) {
        struct datum value;
        if (!value_of(key->values[i], params, &value)) {
            return false;
        }
        if (value.null || (key->compare == REMOTE_ANY_OF &&
                              !route_convert(key->values[i]->type, &like, &value))) {
            continue;
        }
        if (!route_convert(key->values[i]->type, &like, &value)) {
            return false;
        }
        struct buffer bytes = {0};
        key_encode(&bytes, column->type, value, 0);
        struct slice encoded = slice_of(arena_copy(arena, bytes.data, bytes.size), bytes.size);
        buffer_destroy(&bytes);
        uint32_t bucket = 0;
        if (key->compare == REMOTE_ANY_OF) {
            if (shard_bucket(scheme, encoded, &bucket)) {
                bits[bucket] = true;
            }
            continue;
        }
        size_t first = 0, end = 0;
        bool low = key->compare == REMOTE_GREATER;
        shard_bucket_range(scheme, low ? &encoded : NULL, low ? NULL : &encoded, &first, &end);
        end -= key->compare == REMOTE_LESS && end > first &&
               slice_equal(scheme->entries[end - 1].key, encoded);
        for (; first < end; first++) {
            bits[scheme->entries[first].bucket] = true;
        }
    }
    return true;
}

static void
ask_all(const struct router *router, struct places *places)
{
    for (uint32_t i = 0; i < router->node_count; i++) {
        places->ask[i] = !router->nodes[i].dropped;
        places->count += places->ask[i];
    }
}

/* The buckets of each node among those wanted. False: one is nobody's, as far as known. */
static bool
ask_owners(const struct router *router, const struct plan_remote *query, const bool *wanted,
    uint32_t count, struct arena *arena, struct places *places)
{
    const char *group = query->sharded->sharding->group;
    int *owners = arena_array(arena, (size_t)count + 1, sizeof *owners);
    struct shard_route_range *ranges = arena_array(arena, (size_t)count + 1, sizeof *ranges);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        owners[i] = wanted[i] ? cluster_owner(router->cluster, group, i) : -1;
        if (wanted[i] && owners[i] < 0) {
            return false;
        }
    }
    for (uint32_t node = 0; node < router->node_count; node++) {
        struct shard_route_group named = {.name = group, .ranges = ranges + used};
        for (uint32_t i = 0; i < count; i++) {
            if (owners[i] == (int)node) {
                ranges[used++] = (struct shard_route_range){.first = i, .last = i};
                named.range_count++;
            }
        }
        if (named.range_count > 0) {
            places->groups[node] = named;
            places->ask[node] = true;
            places->count++;
        }
    }
    return true;
}

static void
find_places(const struct router *router, struct arena *arena, const struct plan_remote *query,
    const struct datum *params, struct places *places)
{
    *places = (struct places){0};
    if (query->sharded == NULL) {
        places->ask[0] = true; /* it has those that are not sharded, and all that are replicated */
        places->count = 1;
        return;
    }
    uint32_t count = query->sharded->sharding->scheme.bucket_count;
    bool *wanted = arena_array(arena, (size_t)count + 1, sizeof *wanted);
    bool *these = arena_array(arena, (size_t)count + 1, sizeof *these);
    bool known = false;
    memset(wanted, true, count);
    for (uint32_t k = 0; k < query->key_count; k++) {
        memset(these, false, count);
        if (buckets_of(arena, query, &query->keys[k], params, these)) {
            known = true;
            for (uint32_t i = 0; i < count; i++) {
                wanted[i] = wanted[i] && these[i];
            }
        }
    }
    if (!known || !ask_owners(router, query, wanted, count, arena, places)) {
        ask_all(router, places);
    } else if (places->count == 0) {
        places->ask[0] = true; /* no row passes: any node says so */
        places->count = 1;
    }
}

static void
put_places(void *arg, const struct plan_remote *query, struct buffer *to)
{
    const struct remote_cut *cut = arg;
    const struct router *router = cut->worker->router;
    struct places places;
    struct arena arena;
    arena_create(&arena, "places");
    find_places(router, &arena, query, NULL, &places);
    bool first = true;
    for (uint32_t i = 0; i < router->node_count; i++) {
        if (places.ask[i]) {
            buffer_printf(to, "%s%s", first ? "" : ", ", router->nodes[i].name);
            first = false;
        }
    }
    arena_destroy(&arena);
}

/* ---- rows --------------------------------------------------------------------------------------
 */

struct pull {
    struct remote_cut *cut;
    const struct exec_remote_scan *scan;
    struct eval *eval;
    struct datum *values;
    uint64_t pulled;
};

static enum err
take_row(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct pull *pull = arg;
    const struct plan_remote *query = pull->scan->query;
    if (count != (query->wanted_count == 0 ? 1 : query->wanted_count)) {
        return diag_set(diag, ERR_PROTOCOL, "a shard sent a row of another width");
    }
    struct arena_mark mark = arena_mark(pull->eval->arena);
    for (uint32_t i = 0; i < query->wanted_count; i++) {
        const struct plan_remote_output *output = &query->outputs[query->wanted[i]];
        struct datum *value = &pull->values[i];
        pull->pulled += values[i].size + sizeof *value;
        if (values[i].data == NULL) {
            *value = datum_null();
        } else {
            TRY(type_input(pull->eval, output->type, output->typmod, values[i], value));
        }
    }
    uint64_t most = pull->cut->worker->router->limits.pull_size;
    if (pull->cut->pulled + pull->pulled > most) {
        return refuse(REFUSED_PULL_SIZE, diag);
    }
    enum err err = pull->scan->emit(pull->scan->emit_arg, pull->values);
    arena_rewind(pull->eval->arena, mark);
    return err;
}

/* All nodes have been asked before the first answers, and have no more to say behind it: unless
 * there was an error, when what is still on its way goes with the connection. */
static enum err
ask_once(struct task *task, struct remote_cut *cut, const struct places *places,
    const struct buffer *text, struct pull *pull, struct diag *diag)
{
    enum err err = ERR_OK;
    uint32_t asked = 0;
    for (uint32_t i = 0; err == ERR_OK && i < cut->node_count; i++) {
        if (places->ask[i] && cut->upstreams[i] == NULL) {
            err = diag_set(diag, ERR_WRONG_BUCKET, "a node has been dropped or added meanwhile");
        } else if (places->ask[i]) {
            struct shard_route route = {.epoch = catalog_route_epoch(pull->eval->env->catalog),
                .group_count = places->groups[i].range_count > 0,
                .groups = &places->groups[i]};
            put_route(cut, cut->upstreams[i], &route);
            upstream_put_query(cut->upstreams[i], text->data, text->size);
            err = upstream_flush(task, cut->upstreams[i], diag);
            asked = i + 1;
        }
    }
    for (uint32_t i = 0; i < asked; i++) {
        if (places->ask[i] && err == ERR_OK) {
            err = node_query(task, cut->upstreams[i], NULL, take_row, pull, diag);
        } else if (places->ask[i]) {
            cut->upstreams[i]->broken = true; /* an answer may be on its way */
        }
    }
    return err;
}

static void
wait_before(struct task *task, const struct router *router, uint32_t attempt)
{
    int64_t most = (int64_t)RETRY_PAUSE_US << (attempt < 5 ? attempt : 5);
    task_sleep(task, 1 + (int64_t)(world_random(router->world) % (uint64_t)most));
}

static bool
is_elsewhere(enum err err)
{
    return err == ERR_WRONG_BUCKET || err == ERR_BUCKET_MOVING;
}

/* The answer so far is forgotten, and all nodes are asked anew: as of another moment, unless rows
 * of this one have been used in the statement already. */
static bool
may_ask_again(
    const struct remote_cut *cut, enum err err, uint32_t attempt, const struct router *router)
{
    if (is_elsewhere(err)) {
        return cut->scans == 0 && attempt < ELSEWHERE_MAX;
    }
    return (err == ERR_SHARD_UNREACHABLE || err == ERR_SHARD_LOST) && cut->scans == 0 &&
           sql_session_status(cut->session) == 'I' && attempt < router->limits.retries;
}

static enum err
scan_remote(struct task *task, void *arg, const struct exec_remote_scan *scan, struct eval *eval)
{
    struct remote_cut *cut = arg;
    struct router *router = cut->worker->router;
    struct buffer text = {0};
    struct diag *diag = eval->diag;
    if (sql_session_status(cut->session) == 'T' &&
        strcmp(sql_session_setting(cut->session, "transaction_isolation"), "read committed") != 0) {
        return refuse(REFUSED_SPREAD_IN_BLOCK, diag);
    }
    if (!put_query(scan, eval->env, &text)) {
        buffer_destroy(&text);
        return diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "a parameter's value cannot be sent to the nodes");
    }
    struct pull pull = {.cut = cut,
        .scan = scan,
        .eval = eval,
        .values =
            arena_array(eval->arena, (size_t)scan->query->wanted_count + 1, sizeof *pull.values)};
    enum err err = ERR_OK;
    for (uint32_t attempt = 0;; attempt++) {
        struct places places;
        pull.pulled = 0;
        find_places(router, eval->arena, scan->query, scan->params, &places);
        err = cut->moment == 0 ? begin_cut(task, cut, diag) : ERR_OK;
        if (err == ERR_OK) {
            err = ask_once(task, cut, &places, &text, &pull, diag);
        }
        if (err == ERR_OK || !may_ask_again(cut, err, attempt, router)) {
            break;
        }
        scan->restart(scan->emit_arg);
        remote_end(task, cut);
        wait_before(task, router, attempt);
        if (is_elsewhere(err)) {
            struct diag ignored;
            (void)!cluster_refresh(task, router, &ignored);
        }
    }
    if (is_elsewhere(err)) { /* the next attempt knows more */
        struct diag ignored;
        (void)!cluster_refresh(task, router, &ignored);
    }
    cut->pulled += pull.pulled;
    cut->scans++;
    buffer_destroy(&text);
    return err;
}

void
remote_start(struct remote_cut *cut, struct worker *worker, struct sql_session *session)
{
    cut->worker = worker;
    cut->session = session;
    cut->remote = (struct exec_remote){.arg = cut,
        .scan = scan_remote,
        .copy = &remote_copy_calls,
        .places = {.put = put_places, .arg = cut}};
    sql_session_set_remote(session, &cut->remote);
}
