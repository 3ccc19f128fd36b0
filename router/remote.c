/*
 * router/remote.c - rows of several shards, for a query that the router's own engine runs.
 *
 * The engine plans the query over its empty tables; what nodes can do of it stands in the plan as
 * queries for them (sql/plan/ship.c), each a stream of rows here. All shards are read as of one
 * moment, the newest among their clocks when the statement begins, in a read-only transaction each,
 * which lasts as long as anybody reads: a statement, or a portal that outlives its statement in a
 * block. Where the conditions on the shard column leave some buckets only, their nodes are asked,
 * and check that they have them.
 *
 *   RS1. Each node has a portal for a stream, and gives a batch of its rows when asked: whoever
 * reads slowly keeps the shard waiting, not rows here. Of a stream there are at most two batches on
 *        the way from each node, of about BATCH_BYTES; nodes that are ahead work on the next while
 *        this one's rows are used.
 *   RS2. Answers come in the order of what was asked (`requests`); what comes for another stream
 *        than the one that is read is kept for it: its batches on the way, no more (RS1).
 *   RS3. A node whose turn it is to say that its rows are elsewhere says so before its first row.
 * No row is used before every node has given its first, or said that it has none; up to then all
 *        may be asked again, as of another moment.
 *   RS4. Every node's snapshot of a moment is taken when the moment is, whether or not the first
 *        stream asks it: later it might be too old there (history_window).
 *   RS5. Who gives a moment back has ended what is under way for it: what does not end in
 *        END_PATIENCE_US is cancelled, what does not obey is closed. A connection goes back to its
 *        pool only behind the answer to ROLLBACK.
 *   RS6. Rows that are sorted at the nodes are merged (SH7): the least of what each has next.
 *   RS7. If replicated tables are read all nodes check that at that moment they have the version
 *        that is said (sql/catalog/replicated.h, RP5), also those that the first stream does not
 *        ask; none of its rows is used before all have said so. So no later stream of the statement
 *        meets another version.
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
    BATCH_ROWS_FIRST = 64,
    BATCH_ROWS_MIN = 8,
    BATCH_ROWS_MAX = 16384,
    BATCH_BYTES = 128 * 1024,
    TEXT_SMALL = 8 * 1024,
    END_PATIENCE_US = 20000,
    END_CANCELLED_US = 2000000,
};

struct feed;

/* A node's transaction. */
struct link {
    struct upstream *upstream; /* NULL: the node is dropped */
    struct feed **requests;    /* whose answers are due, in order; NULL: nobody's */
    uint32_t request_at, request_count, request_capacity;
};

struct moment {
    uint32_t references; /* the statement's, and one of each stream */
    struct worker *worker;
    uint64_t stamp;   /* all nodes are read as of it; 0: not known yet */
    bool replicated;  /* RS7 */
    uint64_t version; /* of replicated tables, known before the stamp */
    uint32_t streams; /* that were opened */
    uint64_t kept;    /* bytes */
    uint32_t next_portal;
    uint32_t node_count;
    bool settled;
    struct buffer open_sagas; /* if so: settled.c */
    struct link links[ROUTER_NODES_MAX];
};

/* A node's part of a stream. */
struct feed {
    struct stream *stream;
    struct link *link;
    struct buffer kept; /* RS2: messages */
    size_t kept_at;
    uint32_t asked; /* batches whose answer has not ended */
    uint32_t batch; /* rows of the next */
    uint64_t rows, bytes;
    bool suspended; /* it has said once that there is more */
    bool ended;
    bool fresh;          /* a batch has ended since the last row was taken */
    bool has;            /* a row in `values` */
    struct arena memory; /* of the row */
    struct datum *values;
};

struct stream {
    struct moment *moment;
    const struct plan_remote *query;
    bool *binary; /* by wanted column */
    char portal[24];
    uint32_t feed_count;
    struct feed *feeds;
    struct feed *given; /* its row is with the caller */
    uint32_t at;        /* whose turn it is; of a merge: feeds that have a row, as a heap */
    struct feed **heap;
    uint32_t heap_count;
    uint32_t key_count;
    uint32_t *key_at; /* in values */
};

/* ---- the moment --------------------------------------------------------------------------------
 */

enum err
remote_note_clock(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
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
put_route(const struct moment *moment, struct upstream *upstream, bool replicated,
    struct shard_route *route)
{
    route->replicated = replicated ? SHARD_REPLICATED_EXACTLY : SHARD_REPLICATED_NONE;
    route->replicated_version = moment->version;
    route->hlc = route->read_at = moment->stamp;
    upstream_put_route(upstream, route);
    if (moment->settled) {
        settled_put(upstream, &moment->open_sagas);
    }
}

static void
add_request(struct link *link, struct feed *feed)
{
    if (link->request_at > 0 && link->request_at + link->request_count == link->request_capacity) {
        memmove(link->requests, link->requests + link->request_at,
            link->request_count * sizeof *link->requests);
        link->request_at = 0;
    }
    if (link->request_count == link->request_capacity) {
        link->request_capacity = link->request_capacity == 0 ? 8 : 2 * link->request_capacity;
        link->requests =
            mem_realloc(link->requests, link->request_capacity * sizeof *link->requests);
    }
    link->requests[link->request_at + link->request_count++] = feed;
}

static void
end_request(struct link *link)
{
    ASSERT(link->request_count > 0);
    link->request_at++;
    link->request_count--;
}

/* In connections of the router's own user: what the client's may see was judged by this engine.
 * They are taken in the order of the nodes, so whoever waits for one waits for nobody who waits for
 * him.
 */
static enum err
open_nodes(struct task *task, struct sql_session *session, struct moment *moment, struct diag *diag)
{
    moment->settled = settled_wanted(session);
    const char *begin = moment->settled ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                                          "SET LOCAL tusk.saga_reads = settled"
                                        : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    struct router *router = moment->worker->router;
    uint32_t version = cluster_schema_version(router->cluster); /* before the nodes are counted */
    moment->node_count = router->node_count;
    for (uint32_t i = 0; i < moment->node_count; i++) {
        if (!router->nodes[i].dropped) {
            TRY(node_acquire(task, moment->worker, i, cluster_user(router),
                sql_session_env(session)->database, &moment->links[i].upstream, diag));
        }
    }
    for (uint32_t i = 0; i < moment->node_count; i++) {
        struct upstream *upstream = moment->links[i].upstream;
        if (upstream != NULL) {
            upstream_put_query(upstream, "SELECT tusk_hlc()", 17);
            upstream_put_query(upstream, begin, strlen(begin));
            TRY(upstream_flush(task, upstream, diag));
        }
    }
    uint64_t stamp = 0;
    for (uint32_t i = 0; i < moment->node_count; i++) {
        struct upstream *upstream = moment->links[i].upstream;
        if (upstream != NULL) {
            TRY(node_query(task, upstream, NULL, remote_note_clock, &stamp, diag));
            TRY(node_query(task, upstream, NULL, NULL, NULL, diag));
        }
    }
    if (moment->settled) {
        struct upstream *upstreams[ROUTER_NODES_MAX] = {NULL};
        for (uint32_t i = 0; i < moment->node_count; i++) {
            upstreams[i] = moment->links[i].upstream;
        }
        TRY(settled_ask(
            task, upstreams, moment->node_count, stamp, version, &moment->open_sagas, diag));
    }
    moment->stamp = stamp;
    return ERR_OK;
}

/* Reads what is on its way until `deadline_us`; false: it has not ended then. */
static bool
run_dry(struct task *task, struct link *link, int64_t deadline_us)
{
    struct upstream *upstream = link->upstream;
    while (link->request_count > 0 && !upstream->broken) {
        struct upstream_message message;
        if (!upstream_wait(task, upstream, deadline_us, 0)) {
            return false;
        }
        if (upstream_next(task, upstream, 0, &message, NULL) == ERR_OK && message.type == 'Z') {
            end_request(link);
        }
    }
    return true;
}

/* RS5 */
static void
moment_delete(struct task *task, struct moment *moment)
{
    struct world *world = moment->worker->router->world;
    bool hurry = task_interrupted(task, NULL) != ERR_OK;
    bool open[ROUTER_NODES_MAX] = {false};
    /* What was to be cancelled is; the rest must not be. */
    task_interrupt_clear(task, TASK_CANCEL);
    task_interrupt_clear(task, TASK_TIMEOUT);
    for (uint32_t i = 0; i < moment->node_count; i++) {
        struct link *link = &moment->links[i];
        open[i] = link->upstream != NULL && !link->upstream->broken;
        if (open[i]) {
            for (uint32_t r = 0; r < link->request_count; r++) {
                link->requests[link->request_at + r] = NULL;
            }
            upstream_put_query(link->upstream, "ROLLBACK", 8);
            add_request(link, NULL);
            open[i] = upstream_flush(task, link->upstream, NULL) == ERR_OK;
        }
    }
    int64_t deadline_us = world_clock_us(world) + (hurry ? 0 : END_PATIENCE_US);
    for (uint32_t i = 0; i < moment->node_count; i++) {
        open[i] = open[i] && !run_dry(task, &moment->links[i], deadline_us);
        if (open[i]) {
            upstream_cancel(task, moment->links[i].upstream);
        }
    }
    deadline_us = world_clock_us(world) + END_CANCELLED_US;
    for (uint32_t i = 0; i < moment->node_count; i++) {
        struct link *link = &moment->links[i];
        if (open[i] && !run_dry(task, link, deadline_us)) {
            link->upstream->broken = true;
        }
        if (link->upstream != NULL) {
            pool_release(task, link->upstream);
        }
        mem_free(link->requests);
    }
    buffer_destroy(&moment->open_sagas);
    mem_free(moment);
}

static void
moment_release(struct task *task, struct moment *moment)
{
    ASSERT(moment->references > 0);
    if (--moment->references == 0) {
        moment_delete(task, moment);
    }
}

static enum err
begin_moment(struct task *task, struct remote_cut *cut, struct diag *diag)
{
    if (sql_session_setting(cut->session, "tusk.idempotency_key")[0] != '\0') {
        return refuse(REFUSED_KEY_SPREAD, diag);
    }
    struct moment *moment = mem_zalloc(sizeof *moment);
    moment->references = 1;
    moment->worker = cut->worker;
    moment->replicated = cut->replicated;
    moment->version = copies_known(cut->worker->router);
    cut->moment = moment;
    enum err err = open_nodes(task, cut->session, moment, diag);
    for (uint32_t i = 0; err != ERR_OK && i < moment->node_count; i++) {
        if (moment->links[i].upstream != NULL) {
            moment->links[i].upstream->broken = true; /* an answer may be on its way */
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
    if (cut->moment != NULL) {
        struct moment *moment = cut->moment;
        cut->moment = NULL;
        moment_release(task, moment);
    }
}

/* ---- the text ----------------------------------------------------------------------------------
 */

/* False: a value cannot be written down. */
static bool
put_query(const struct plan_remote *query, const struct datum *params, const struct eval_env *env,
    struct buffer *to)
{
    struct buffer marked = {0};
    bool fine = true;
    ship_text(query, false, &marked);
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
        fine = fine && ship_literal(env, numbers[1], params[numbers[0]], to);
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

/* ---- a node's rows -----------------------------------------------------------------------------
 */

/* Types whose binary form is the value, whatever is set there, and costs less than text. */
static bool
comes_binary(oid_t type)
{
    switch (type) {
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC:
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_BYTEA:
    case TYPE_UUID:
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_INTERVAL:
        return true;
    default:
        return false;
    }
}

static void
put_execute(struct feed *feed)
{
    struct buffer *out = &feed->link->upstream->out;
    size_t start = wire_begin(out, 'E');
    wire_put_text(out, feed->stream->portal);
    buffer_add_be32(out, feed->batch);
    wire_end(out, start);
    wire_put_empty(out, 'S');
    add_request(feed->link, feed);
    feed->asked++;
}

static void
put_portal(struct feed *feed, const struct buffer *text)
{
    const struct stream *stream = feed->stream;
    struct buffer *out = &feed->link->upstream->out;
    size_t start = wire_begin(out, 'P');
    buffer_add_u8(out, 0);
    buffer_add(out, text->data, text->size);
    buffer_add_u8(out, 0);
    buffer_add_be16(out, 0);
    wire_end(out, start);
    start = wire_begin(out, 'B');
    wire_put_text(out, stream->portal);
    buffer_add_u8(out, 0);
    buffer_add_be16(out, 0);
    buffer_add_be16(out, 0);
    buffer_add_be16(out, (uint16_t)stream->query->wanted_count);
    for (uint32_t i = 0; i < stream->query->wanted_count; i++) {
        buffer_add_be16(out, stream->binary[i]);
    }
    wire_end(out, start);
}

static enum err
ask(struct task *task, struct feed *feed, struct diag *diag)
{
    put_execute(feed);
    return upstream_flush(task, feed->link->upstream, diag);
}

static bool
take_kept(struct feed *feed, struct upstream_message *message)
{
    if (feed->kept_at == feed->kept.size) {
        return false;
    }
    const uint8_t *head = feed->kept.data + feed->kept_at;
    size_t size = (size_t)load_be32(head + 1) + 1;
    *message = (struct upstream_message){
        .type = (char)head[0], .body = slice_of(head + 5, size - 5), .whole = slice_of(head, size)};
    feed->kept_at += size;
    return true;
}

/* RS2. The next message for the feed, until the next call of anything here. */
static enum err
next_message(
    struct task *task, struct feed *feed, struct upstream_message *message, struct diag *diag)
{
    struct link *link = feed->link;
    if (take_kept(feed, message)) {
        return ERR_OK;
    }
    buffer_destroy(&feed->kept);
    feed->kept_at = 0;
    for (;;) {
        ASSERT(link->request_count > 0);
        struct feed *owner = link->requests[link->request_at];
        TRY(upstream_next(task, link->upstream, TASK_CANCEL | TASK_TIMEOUT, message, diag));
        if (message->type == 'Z') {
            end_request(link);
        }
        if (owner == feed) {
            return ERR_OK;
        }
        if (owner != NULL) {
            buffer_add(&owner->kept, message->whole.data, message->whole.size);
        }
    }
}

static enum err
take_row(struct feed *feed, struct slice body, const struct eval *caller)
{
    const struct plan_remote *query = feed->stream->query;
    struct wire_reader reader = wire_reader_of(body);
    struct eval eval = *caller;
    uint32_t count = wire_get_u16(&reader);
    eval.arena = &feed->memory;
    arena_reset(&feed->memory);
    for (uint32_t i = 0; i < query->wanted_count && i < count; i++) {
        const struct plan_remote_output *output = &query->outputs[query->wanted[i]];
        uint32_t size = wire_get_u32(&reader);
        if (size == UINT32_MAX) {
            feed->values[i] = datum_null();
            continue;
        }
        struct slice bytes = wire_get_bytes(&reader, size);
        if (reader.failed) {
            break;
        }
        TRY(feed->stream->binary[i]
                ? type_receive(&eval, output->type, -1, bytes, &feed->values[i])
                : type_input(&eval, output->type, output->typmod, bytes, &feed->values[i]));
    }
    if (reader.failed || count != (query->wanted_count == 0 ? 1 : query->wanted_count)) {
        return diag_set(eval.diag, ERR_PROTOCOL, "a shard sent a row of another form");
    }
    feed->rows++;
    feed->bytes += body.size;
    feed->has = true;
    return ERR_OK;
}

/* RS1. As many rows next time as make a batch of the usual size. */
static void
choose_batch(struct feed *feed)
{
    uint64_t wanted = feed->bytes == 0 ? BATCH_ROWS_MAX : BATCH_BYTES * feed->rows / feed->bytes;
    uint64_t most = 8 * (uint64_t)feed->batch;
    wanted = wanted > most ? most : wanted;
    wanted = wanted > BATCH_ROWS_MAX ? BATCH_ROWS_MAX : wanted;
    feed->batch = wanted < BATCH_ROWS_MIN ? BATCH_ROWS_MIN : (uint32_t)wanted;
    feed->rows = feed->bytes = 0;
}

/* To the next row, if there is one: feed->has. */
static enum err
advance(struct task *task, struct feed *feed, const struct eval *eval)
{
    struct diag *diag = eval->diag;
    enum err err = ERR_OK;
    feed->has = false;
    while (!feed->ended) {
        struct upstream_message message;
        while (feed->asked < (feed->suspended ? 2 : 1)) {
            TRY(ask(task, feed, diag));
        }
        TRY(next_message(task, feed, &message, diag));
        switch (message.type) {
        case 'D':
            if (err == ERR_OK) {
                return take_row(feed, message.body, eval);
            }
            break;
        case 's':
            feed->suspended = true;
            break;
        case 'C':
            feed->ended = true;
            break;
        case 'E':
            err = upstream_error(message.body, feed->link->upstream->pool->shard->name, diag);
            break;
        case 'Z':
            feed->asked--;
            feed->fresh = true;
            TRY(err);
            choose_batch(feed);
            break;
        default:
            break;
        }
    }
    return ERR_OK;
}

/* ---- streams -----------------------------------------------------------------------------------
 */

/* RS6. Equal rows: the first node's first, as far as a heap goes. */
static bool
is_before(const struct stream *stream, const struct feed *a, const struct feed *b)
{
    for (uint32_t k = 0; k < stream->key_count; k++) {
        const struct plan_sort_key *key = &stream->query->order[k];
        struct datum x = a->values[stream->key_at[k]], y = b->values[stream->key_at[k]];
        int order = 0;
        if (x.null || y.null) {
            order = x.null == y.null ? 0 : x.null == key->nulls_first ? -1 : 1;
        } else {
            order = datum_compare(key->type, x, y);
            order = key->descending ? -order : order;
        }
        if (order != 0) {
            return order < 0;
        }
    }
    return a < b;
}

static void
sift_down(struct stream *stream, uint32_t at)
{
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < stream->heap_count &&
                is_before(stream, stream->heap[child], stream->heap[least])) {
                least = child;
            }
        }
        if (least == at) {
            return;
        }
        struct feed *moved = stream->heap[at];
        stream->heap[at] = stream->heap[least];
        stream->heap[least] = moved;
        at = least;
    }
}

static void
heap_up(struct stream *stream)
{
    for (uint32_t i = 0; i < stream->feed_count; i++) {
        if (stream->feeds[i].has) {
            stream->heap[stream->heap_count++] = &stream->feeds[i];
        }
    }
    for (uint32_t i = stream->heap_count / 2; i > 0; i--) {
        sift_down(stream, i - 1);
    }
}

static struct feed *
next_in_order(struct stream *stream)
{
    if (stream->given != NULL && !stream->given->has) {
        stream->heap[0] = stream->heap[--stream->heap_count];
    }
    if (stream->given != NULL) {
        sift_down(stream, 0);
    }
    return stream->heap_count == 0 ? NULL : stream->heap[0];
}

/* Another node's turn at the end of each batch, so that all have something to do. */
static struct feed *
next_in_turn(struct stream *stream)
{
    struct feed *feed = &stream->feeds[stream->at];
    uint32_t step = feed->fresh || !feed->has ? 1 : 0;
    feed->fresh = false;
    for (uint32_t i = 0; i < stream->feed_count; i++) {
        uint32_t at = (stream->at + i + step) % stream->feed_count;
        if (stream->feeds[at].has) {
            stream->at = at;
            return &stream->feeds[at];
        }
    }
    return NULL;
}

static enum err
stream_next(struct task *task, void *arg, struct eval *eval, struct datum *values, bool *found)
{
    struct stream *stream = arg;
    if (stream->given != NULL) {
        TRY(advance(task, stream->given, eval));
    }
    struct feed *feed = stream->key_count > 0 ? next_in_order(stream) : next_in_turn(stream);
    stream->given = feed;
    *found = feed != NULL;
    if (*found) {
        memcpy(values, feed->values, stream->query->wanted_count * sizeof *values);
    }
    return ERR_OK;
}

static enum err
stream_keep(void *arg, uint64_t size, struct diag *diag)
{
    const struct stream *stream = arg;
    struct moment *moment = stream->moment;
    moment->kept += size;
    return moment->kept > moment->worker->router->limits.pull_size ? refuse(REFUSED_PULL_SIZE, diag)
                                                                   : ERR_OK;
}

static void
stream_close(struct task *task, void *arg)
{
    struct stream *stream = arg;
    struct moment *moment = stream->moment;
    for (uint32_t i = 0; i < stream->feed_count; i++) {
        struct feed *feed = &stream->feeds[i];
        const struct link *link = feed->link;
        for (uint32_t r = 0; r < link->request_count; r++) {
            struct feed **request = &link->requests[link->request_at + r];
            *request = *request == feed ? NULL : *request;
        }
        buffer_destroy(&feed->kept);
        arena_destroy(&feed->memory);
        mem_free(feed->values);
    }
    mem_free(stream->feeds);
    mem_free(stream->heap);
    mem_free(stream->key_at);
    mem_free(stream->binary);
    mem_free(stream);
    moment_release(task, moment);
}

static void
find_keys(struct stream *stream)
{
    const struct plan_remote *query = stream->query;
    stream->key_count = query->order_count;
    stream->key_at = mem_array((size_t)query->order_count + 1, sizeof *stream->key_at);
    for (uint32_t k = 0; k < query->order_count; k++) {
        bool found = false;
        for (uint32_t i = 0; i < query->wanted_count && !found; i++) {
            found = query->outputs[query->wanted[i]].reg == query->order[k].reg;
            stream->key_at[k] = i;
        }
        ASSERT(found);
    }
}

static struct stream *
stream_new(struct moment *moment, const struct plan_remote *query, const struct places *places)
{
    struct stream *stream = mem_zalloc(sizeof *stream);
    stream->moment = moment;
    moment->references++;
    stream->query = query;
    (void)snprintf(stream->portal, sizeof stream->portal, "tusk_%u", ++moment->next_portal);
    stream->feeds = mem_array((size_t)places->count + 1, sizeof *stream->feeds);
    stream->heap = mem_array((size_t)places->count + 1, sizeof(struct feed *));
    stream->binary = mem_array((size_t)query->wanted_count + 1, sizeof(bool));
    for (uint32_t i = 0; i < query->wanted_count; i++) {
        stream->binary[i] = comes_binary(query->outputs[query->wanted[i]].type);
    }
    find_keys(stream);
    return stream;
}

static void
add_feed(struct stream *stream, struct link *link)
{
    struct feed *feed = &stream->feeds[stream->feed_count++];
    *feed = (struct feed){.stream = stream, .link = link, .batch = BATCH_ROWS_FIRST};
    feed->values = mem_array((size_t)stream->query->wanted_count + 1, sizeof *feed->values);
    arena_create(&feed->memory, "feed");
}

/* A long text could meet a node that waits for us to take its rows. */
static enum err
make_room(struct task *task, struct link *link, size_t size, struct diag *diag)
{
    while (size > TEXT_SMALL && link->request_count > 0) {
        struct upstream_message message;
        struct feed *owner = link->requests[link->request_at];
        TRY(upstream_next(task, link->upstream, TASK_CANCEL | TASK_TIMEOUT, &message, diag));
        if (message.type == 'Z') {
            end_request(link);
        }
        if (owner != NULL) {
            buffer_add(&owner->kept, message.whole.data, message.whole.size);
        }
    }
    return ERR_OK;
}

/* RS7: does the node have the version? */
static enum err
read_check(struct task *task, struct link *link, struct diag *diag)
{
    enum err err = ERR_OK;
    struct upstream_message message = {0};
    while (message.type != 'Z') {
        TRY(upstream_next(task, link->upstream, TASK_CANCEL | TASK_TIMEOUT, &message, diag));
        if (message.type == 'E') {
            err = upstream_error(message.body, link->upstream->pool->shard->name, diag);
        }
    }
    end_request(link);
    return err;
}

/* RS3, RS4. All nodes have been asked before the first answers. */
static enum err
ask_nodes(struct task *task, struct moment *moment, const struct places *places,
    const struct buffer *text, struct stream *stream, const struct eval *eval)
{
    struct diag *diag = eval->diag;
    uint64_t epoch = catalog_route_epoch(eval->env->catalog);
    bool first = moment->streams++ == 0; /* at once: a second one that fails asks no other moment */
    bool replicated = moment->replicated || stream->query->replicated;
    bool only_checks[ROUTER_NODES_MAX] = {false};
    for (uint32_t i = 0; i < ROUTER_NODES_MAX; i++) {
        struct link *link = &moment->links[i];
        if (places->ask[i] && (i >= moment->node_count || link->upstream == NULL)) {
            return diag_set(diag, ERR_WRONG_BUCKET, "a node has been dropped or added meanwhile");
        }
        if (i >= moment->node_count || link->upstream == NULL || (!places->ask[i] && !first)) {
            continue;
        }
        struct shard_route route = {.epoch = epoch,
            .group_count = places->ask[i] && places->groups[i].range_count > 0,
            .groups = &places->groups[i]};
        TRY(make_room(task, link, text->size, diag));
        put_route(moment, link->upstream, replicated, &route);
        if (places->ask[i]) {
            add_feed(stream, link);
            put_portal(&stream->feeds[stream->feed_count - 1], text);
            put_execute(&stream->feeds[stream->feed_count - 1]);
        } else {
            upstream_put_query(link->upstream, "SELECT 1", 8);
            only_checks[i] = replicated; /* RS7; nothing else is on its way there yet */
            add_request(link, NULL);
        }
        TRY(upstream_flush(task, link->upstream, diag));
    }
    for (uint32_t i = 0; i < moment->node_count; i++) {
        if (only_checks[i]) {
            TRY(read_check(task, &moment->links[i], diag));
        }
    }
    for (uint32_t i = 0; i < stream->feed_count; i++) {
        TRY(advance(task, &stream->feeds[i], eval));
    }
    heap_up(stream);
    return ERR_OK;
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
    return err == ERR_WRONG_BUCKET || err == ERR_BUCKET_MOVING || err == ERR_REPLICATED_BEHIND;
}

/* All nodes are asked anew, as of another moment, unless there is a stream of this one already. */
static bool
may_ask_again(const struct remote_cut *cut, enum err err, const char *detail, uint32_t attempt,
    const struct router *router)
{
    if (cut->moment != NULL && cut->moment->streams > 1) {
        return false;
    }
    if (is_elsewhere(err)) { /* not if it is the picture that is old: this statement has no other */
        bool bucket = strstr(detail, "bucket=") != NULL;
        return (err == ERR_BUCKET_MOVING || bucket) && attempt < ELSEWHERE_MAX;
    }
    return (err == ERR_SHARD_UNREACHABLE || err == ERR_SHARD_LOST) &&
           sql_session_status(cut->session) == 'I' && attempt < router->limits.retries;
}

static enum err
open_once(struct task *task, struct remote_cut *cut, const struct plan_remote *query,
    const struct datum *params, const struct buffer *text, struct eval *eval, struct stream **out)
{
    struct places places;
    find_places(cut->worker->router, eval->arena, query, params, &places);
    if (cut->moment == NULL) {
        TRY(begin_moment(task, cut, eval->diag));
    }
    struct stream *stream = stream_new(cut->moment, query, &places);
    enum err err = ask_nodes(task, cut->moment, &places, text, stream, eval);
    if (err != ERR_OK) {
        stream_close(task, stream);
        return err;
    }
    *out = stream;
    return ERR_OK;
}

static enum err
stream_begin(struct task *task, void *arg, const struct plan_remote *query,
    const struct datum *params, struct eval *eval, void **stream)
{
    struct remote_cut *cut = arg;
    struct router *router = cut->worker->router;
    struct buffer text = {0};
    struct stream *opened = NULL;
    struct diag *diag = eval->diag;
    if (query->locks) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "rows of several nodes cannot be locked or changed here");
    }
    if (sql_session_status(cut->session) == 'T' &&
        strcmp(sql_session_setting(cut->session, "transaction_isolation"), "read committed") != 0) {
        return refuse(REFUSED_SPREAD_IN_BLOCK, diag);
    }
    if (!put_query(query, params, eval->env, &text)) {
        buffer_destroy(&text);
        return diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "a parameter's value cannot be sent to the nodes");
    }
    enum err err = ERR_OK;
    for (uint32_t attempt = 0;; attempt++) {
        err = open_once(task, cut, query, params, &text, eval, &opened);
        if (err == ERR_OK || !may_ask_again(cut, err, diag->detail, attempt, router)) {
            break;
        }
        remote_end(task, cut);
        if (err == ERR_REPLICATED_BEHIND) {
            copies_note_words(router, diag->detail);
            copies_catch_up(task, router, -1);
            continue;
        }
        wait_before(task, router, attempt);
        if (is_elsewhere(err)) {
            cluster_refresh_within(task, router);
        }
    }
    if (err == ERR_REPLICATED_BEHIND) {
        copies_note_words(router, diag->detail);
    } else if (is_elsewhere(err)) { /* the next attempt knows more */
        cluster_refresh_within(task, router);
    }
    buffer_destroy(&text);
    *stream = opened;
    return err;
}

static const struct exec_remote_calls stream_calls = {
    .begin = stream_begin, .next = stream_next, .keep = stream_keep, .close = stream_close};

void
remote_start(struct remote_cut *cut, struct worker *worker, struct sql_session *session)
{
    cut->worker = worker;
    cut->session = session;
    cut->remote = (struct exec_remote){.arg = cut,
        .calls = &stream_calls,
        .copy = &remote_copy_calls,
        .places = {.put = put_places, .arg = cut}};
    sql_session_set_remote(session, &cut->remote);
}
