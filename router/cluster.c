/*
 * router/cluster.c - what the nodes have in common: schema and buckets.
 *
 * The schema is a list of statements, numbered from 1, that every node keeps in tusk_cluster.ddl
 * and the router's own engine too. A statement and its number become durable on a node in one
 * transaction, on the first node before any other. So
 *
 *   K1. the first node's list is the truth, and every other's is a beginning of it;
 *   K2. of two routers that change the schema at once one finds the number taken (23505), catches
 *       up, and tries again;
 *   K3. whoever finds a node behind may bring it up to date: doing so twice does nothing;
 *   K4. a change after which an older router's statements would mean other rows carries a new epoch
 *       of routes, the change's own number. Nodes get it in the change's transaction, the router's
 *       engine after it (so a route is never newer than what it was read off). A shard refuses a
 *       route of another epoch (sql/catalog/buckets.h, BU4).
 *
 *   K5. A change is made in a transaction at each node that can be reached before the first node's
 *       commits, and then theirs do: one that any of them refuses is nobody's. Else who refuses it
 *       would be behind for ever.
 *   K6. A change that rows may contradict (a constraint, an index, a new type) needs all nodes: who
 *       is away cannot be asked. So does TRUNCATE, whose answer says that rows are gone.
 *   K7. Each change leaves a mark in the first node's list of changes of replicated tables, in its
 *       own transaction, and takes its place at another node where that list has the mark: so rows
 *       that were changed before a change of the schema are there before it (copies.c, RR1). The
 *       list is locked from the mark to the end, so no entry can come between.
 *
 *   K8. Each change is made once in the router's engine, too. What is read with it (the nodes, the
 *       epoch) may fail and is tried again, without making the change again: its number is taken.
 *   K9. What a change does at one node by number is done there under that number or not at all: a
 *       server that was dropped and came back has another one, and refuses changes from a router
 *       that still knows it by the old one.
 *
 * A router that dies amid a change leaves it to the next one, or to its own next start.
 *
 * Who has which bucket is asked of the nodes (view tusk_buckets). What is known may be old: the
 * shard's refusal (TR003) is the truth, and the reason to ask again.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "router/router.h"
#include "sql/catalog/sharding.h"

enum {
    KEEPER_WAIT_US = 200 * 1000,
    LOCK_PAUSE_US = 2000,
};

struct map_group {
    char *name;
    uint32_t bucket_count;
    int16_t *owners;
};

/* Never changed once it is to be seen; older ones are kept, for whoever still looks. */
struct map {
    struct map *older;
    uint32_t group_count;
    struct map_group *groups;
};

struct cluster {
    _Atomic uint32_t version; /* of the router's own engine */
    int64_t applied; /* there; ahead of `version` while what goes with it (nodes, the epoch) has
                      * failed; under `changing` */
    struct map *_Atomic map;
    _Atomic bool changing; /* one change of schema or map at a time in this router */
    bool epoch_due;        /* the engine has not the newest epoch of routes yet; under `changing` */
    _Atomic uint64_t refreshes; /* begun */
    struct sql_sink sink;
    int64_t answer; /* the last number that a session of the router's own said; under `changing` */
    const char *user, *database;
    struct task *keeper;
    _Atomic uint64_t rounds; /* of the keeper */
    _Atomic bool closing, closed;
};

const char *
cluster_user(const struct router *router)
{
    return router->cluster->user;
}

uint32_t
cluster_schema_version(const struct cluster *cluster)
{
    return cluster->version;
}

int
cluster_owner(const struct cluster *cluster, const char *group, uint32_t bucket)
{
    const struct map *map = cluster->map;
    for (uint32_t i = 0; map != NULL && i < map->group_count; i++) {
        if (strcmp(map->groups[i].name, group) == 0) {
            return bucket < map->groups[i].bucket_count ? map->groups[i].owners[bucket] : -1;
        }
    }
    return -1;
}

static void
lock(struct task *task, struct cluster *cluster)
{
    bool free = false;
    while (!atomic_compare_exchange_strong(&cluster->changing, &free, true)) {
        free = false;
        task_sleep(task, LOCK_PAUSE_US);
    }
}

static void
unlock(struct cluster *cluster)
{
    cluster->changing = false;
}

/* ---- queries at nodes --------------------------------------------------------------------------
 */

static enum err
hand_row(struct slice body, node_row *row, void *arg, struct diag *diag)
{
    struct wire_reader reader = wire_reader_of(body);
    uint16_t count = wire_get_u16(&reader);
    struct slice values[64];
    struct slice *all = count <= 64 ? values : mem_array(count, sizeof *all);
    for (uint16_t i = 0; i < count; i++) {
        uint32_t size = wire_get_u32(&reader);
        all[i] = size == UINT32_MAX ? (struct slice){0} : wire_get_bytes(&reader, size);
        if (size == 0) {
            all[i].data = (const uint8_t *)"";
        }
    }
    enum err err = wire_reader_done(&reader)
                       ? row(arg, all, count, diag)
                       : diag_set(diag, ERR_PROTOCOL, "a shard sent a row that is none");
    if (all != values) {
        mem_free(all);
    }
    return err;
}

enum err
node_query(struct task *task, struct upstream *upstream, const char *text, node_row *row, void *arg,
    struct diag *diag)
{
    enum err result = ERR_OK;
    upstream->canceled = false;
    if (text != NULL) {
        upstream_put_query(upstream, text, strlen(text));
    }
    TRY(upstream_flush(task, upstream, diag));
    for (;;) {
        struct upstream_message message;
        TRY(upstream_next(task, upstream, 0, &message, diag));
        if (message.type == 'E' && result == ERR_OK) {
            result = upstream_error(message.body, upstream->pool->shard->name, diag);
        } else if (message.type == 'D' && result == ERR_OK && row != NULL) {
            result = hand_row(message.body, row, arg, diag);
        } else if (message.type == 'Z') {
            if (upstream->canceled && result != ERR_QUERY_CANCELED) {
                task_interrupt(task, TASK_CANCEL); /* it came too late for this query */
            }
            return result;
        }
    }
}

enum err
node_acquire(struct task *task, struct worker *worker, uint32_t shard, const char *user,
    const char *database, struct upstream **upstream, struct diag *diag)
{
    TRY(pool_acquire(task, pool_of(worker, shard, user, database), NULL, upstream, diag));
    if ((*upstream)->settings[0] == '\0') {
        return ERR_OK;
    }
    struct buffer text = {0};
    upstream_settings(*upstream, "", &text);
    buffer_add_u8(&text, 0);
    enum err err = node_query(task, *upstream, (const char *)text.data, NULL, NULL, diag);
    buffer_destroy(&text);
    if (err != ERR_OK) {
        (*upstream)->broken = true;
        pool_release(task, *upstream);
        *upstream = NULL; /* callers give back what they have been given */
        return err;
    }
    (*upstream)->settings[0] = '\0';
    return ERR_OK;
}

/* In a connection of the router's own user. */
enum err
cluster_at_node(struct task *task, struct router *router, uint32_t shard, const char *text,
    node_row *row, void *arg, struct diag *diag)
{
    struct worker *worker = &router->workers[task_worker(task)];
    struct upstream *upstream = NULL;
    TRY(node_acquire(
        task, worker, shard, router->cluster->user, router->cluster->database, &upstream, diag));
    enum err err = node_query(task, upstream, text, row, arg, diag);
    pool_release(task, upstream);
    return err;
}

enum err
cluster_connect(struct task *task, struct router *router, uint32_t node, struct upstream **upstream,
    struct diag *diag)
{
    return node_acquire(task, &router->workers[task_worker(task)], node, router->cluster->user,
        router->cluster->database, upstream, diag);
}

/* ---- buckets -----------------------------------------------------------------------------------
 */

struct map_loading {
    struct map *map;
    int16_t node;
};

static enum err
load_bucket(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct map_loading *loading = arg;
    struct map *map = loading->map;
    if (count < 3 || values[0].data == NULL || values[1].data == NULL || values[2].data == NULL) {
        return diag_set(diag, ERR_PROTOCOL, "a shard does not say which buckets it has");
    }
    bool here = (values[2].size == 5 && memcmp(values[2].data, "owned", 5) == 0) ||
                (values[2].size == 7 && memcmp(values[2].data, "handing", 7) == 0);
    char number[16] = "";
    memcpy(number, values[1].data, values[1].size < 15 ? values[1].size : 15);
    unsigned long bucket = strtoul(number, NULL, 10);
    if (!here || bucket >= SHARD_BUCKETS_MAX) {
        return ERR_OK;
    }
    struct map_group *group = NULL;
    for (uint32_t i = 0; i < map->group_count; i++) {
        struct map_group *at = &map->groups[i];
        if (strlen(at->name) == values[0].size &&
            memcmp(at->name, values[0].data, values[0].size) == 0) {
            group = at;
        }
    }
    if (group == NULL) {
        map->groups = mem_realloc(map->groups, (map->group_count + 1) * sizeof *map->groups);
        group = &map->groups[map->group_count++];
        *group = (struct map_group){.name = mem_zalloc(values[0].size + 1)};
        memcpy(group->name, values[0].data, values[0].size);
    }
    if (bucket >= group->bucket_count) {
        uint32_t more = (uint32_t)bucket + 1;
        more = more < 2 * group->bucket_count ? 2 * group->bucket_count : more;
        group->owners = mem_realloc(group->owners, more * sizeof *group->owners);
        for (uint32_t i = group->bucket_count; i < more; i++) {
            group->owners[i] = -1;
        }
        group->bucket_count = more;
    }
    group->owners[bucket] = loading->node;
    return ERR_OK;
}

static void
map_delete(struct map *map)
{
    while (map != NULL) {
        struct map *older = map->older;
        for (uint32_t i = 0; i < map->group_count; i++) {
            mem_free(map->groups[i].name);
            mem_free(map->groups[i].owners);
        }
        mem_free(map->groups);
        mem_free(map);
        map = older;
    }
}

/* A node that cannot be asked keeps what was known of it: who is sent there is told that it is not
 * there. */
static void
keep_known(const struct map *old, int16_t node, struct map *map)
{
    for (uint32_t g = 0; old != NULL && g < old->group_count; g++) {
        const struct map_group *group = &old->groups[g];
        for (uint32_t bucket = 0; bucket < group->bucket_count; bucket++) {
            if (group->owners[bucket] == node) {
                char number[16];
                (void)snprintf(number, sizeof number, "%u", bucket);
                struct slice values[3] = {slice_of(group->name, strlen(group->name)),
                    slice_of(number, strlen(number)), slice_of("owned", 5)};
                struct map_loading loading = {.map = map, .node = node};
                (void)!load_bucket(&loading, values, 3, NULL);
            }
        }
    }
}

/* The nodes are asked one after the other: a bucket that moves meanwhile may be nobody's in what
 * they said. It stays where it was known to be; who is sent there is told that it is not, and asks
 * again. */
static void
keep_unclaimed(const struct map *old, struct map *map)
{
    for (uint32_t g = 0; old != NULL && g < map->group_count; g++) {
        struct map_group *group = &map->groups[g];
        for (uint32_t o = 0; o < old->group_count; o++) {
            const struct map_group *before = &old->groups[o];
            if (strcmp(before->name, group->name) != 0) {
                continue;
            }
            for (uint32_t b = 0; b < group->bucket_count && b < before->bucket_count; b++) {
                group->owners[b] = group->owners[b] < 0 ? before->owners[b] : group->owners[b];
            }
        }
    }
}

static enum err
load_map(struct task *task, struct router *router, struct diag *diag)
{
    struct cluster *cluster = router->cluster;
    struct map *map = mem_zalloc(sizeof *map);
    enum err result = ERR_OK;
    for (uint32_t i = 0; i < router->node_count; i++) {
        if (router->nodes[i].dropped) {
            continue;
        }
        struct map_loading loading = {.map = map, .node = (int16_t)i};
        struct map *old = cluster->map;
        enum err err = cluster_at_node(
            task, router, i, "SELECT * FROM pg_catalog.tusk_buckets", load_bucket, &loading, diag);
        if (err != ERR_OK) {
            keep_known(old, (int16_t)i, map);
            result = err;
        }
    }
    keep_unclaimed(cluster->map, map);
    map->older = cluster->map;
    cluster->map = map;
    return result;
}

/* ---- the router's own session ------------------------------------------------------------------
 */

static enum err
sink_row(struct task *task, void *arg, const struct plan_column *columns,
    const struct datum *values, uint32_t count, const bool *binary, struct diag *diag)
{
    (void)task;
    (void)binary;
    (void)diag;
    struct cluster *cluster = arg;
    if (count > 0 && columns[0].type == TYPE_INT8 && !values[0].null) {
        cluster->answer = values[0].i;
    }
    return ERR_OK;
}

static enum err
sink_describe(struct task *task, void *arg, const struct plan_column *columns, uint32_t count,
    struct diag *diag)
{
    (void)task;
    (void)arg;
    (void)columns;
    (void)count;
    (void)diag;
    return ERR_OK;
}

static enum err
sink_complete(struct task *task, void *arg, const char *tag, struct diag *diag)
{
    (void)task;
    (void)arg;
    (void)tag;
    (void)diag;
    return ERR_OK;
}

static enum err
sink_empty(struct task *task, void *arg, struct diag *diag)
{
    (void)task;
    (void)arg;
    (void)diag;
    return ERR_OK;
}

static void
sink_notice(void *arg, const char *severity, const struct diag *notice)
{
    (void)arg;
    (void)severity;
    (void)notice;
}

static void
sink_parameter(void *arg, const char *name, const char *value)
{
    (void)arg;
    (void)name;
    (void)value;
}

/* A session of the router's own, for this task. */
static enum err
open_session(
    struct task *task, struct router *router, struct sql_session **session, struct diag *diag)
{
    struct cluster *cluster = router->cluster;
    const char *const none[] = {NULL};
    struct sql_session_options options = {
        .user = cluster->user, .database = cluster->database, .settings = none};
    return sql_session_new(task, router->engine, &options, &cluster->sink, session, diag);
}

static enum err
here(struct task *task, struct sql_session *session, const char *text, struct diag *diag)
{
    enum err err = sql_session_query(task, session, text, strlen(text), diag);
    if (err != ERR_OK && sql_session_status(session) != 'I') {
        struct diag ignored;
        (void)!sql_session_query(task, session, "ROLLBACK", 8, &ignored);
    }
    return err;
}

/* ---- the schema's list -------------------------------------------------------------------------
 */

const char cluster_create_list[] =
    "CREATE SCHEMA IF NOT EXISTS tusk_cluster; "
    "CREATE TABLE IF NOT EXISTS tusk_cluster.ddl (version int8 PRIMARY KEY, statement text, "
    "role text, settings text, extra text); "
    "CREATE TABLE IF NOT EXISTS tusk_cluster.blocks (name text PRIMARY KEY, last int8); "
    "CREATE TABLE IF NOT EXISTS tusk_cluster.nodes (number int4 PRIMARY KEY, name text NOT NULL, "
    "host text NOT NULL, port int4 NOT NULL, dropped bool NOT NULL); "
    "REVOKE ALL ON SCHEMA tusk_cluster FROM PUBLIC; "
    "REVOKE ALL ON tusk_cluster.ddl FROM PUBLIC";

/* In this engine, where only commit_here writes it: a client's own statement on it goes to the
 * first node, where nobody but the router may. */
static const char open_list[] = "GRANT USAGE ON SCHEMA tusk_cluster TO PUBLIC; "
                                "GRANT INSERT ON tusk_cluster.ddl TO PUBLIC";

static const char read_version[] = "SELECT coalesce(max(version), 0)::int8 FROM tusk_cluster.ddl";

/* Of the changes with a line for everybody the last is the epoch of routes (K4). */
static const char settle_epoch[] =
    "SELECT pg_catalog.tusk_route_epoch(coalesce(max(version), 0)) FROM tusk_cluster.ddl "
    "WHERE extra LIKE '*%'";

struct change {
    int64_t version;
    char *statement, *role;
    char *settings; /* SET LOCAL of what names and literals in it depend on */
    char *extra;    /* a line "NODE SQL" or "* SQL" each: what a node, or each, does besides */
};

static void
put_quoted(struct buffer *to, const char *text)
{
    struct arena arena;
    arena_create(&arena, "quote");
    buffer_add_text(to, parser_quote_literal(&arena, text, strlen(text)));
    arena_destroy(&arena);
}

static void
put_log(struct buffer *to, const struct change *change)
{
    buffer_printf(to, "INSERT INTO tusk_cluster.ddl VALUES (%lld, ", (long long)change->version);
    put_quoted(to, change->statement);
    buffer_add_text(to, ", ");
    put_quoted(to, change->role);
    buffer_add_text(to, ", ");
    put_quoted(to, change->settings);
    buffer_add_text(to, ", ");
    put_quoted(to, change->extra);
    buffer_add_text(to, ")");
}

static void
put_name(struct buffer *to, const char *name)
{
    struct arena arena;
    arena_create(&arena, "quote");
    buffer_add_text(to, parser_quote_ident(&arena, name));
    arena_destroy(&arena);
}

/* All that a node does but COMMIT, as one string of statements; node -1: this router. mark: the
 * number of its mark, which is passed, or CLUSTER_NEW_MARK (whose number is the last row of the
 * answer), or CLUSTER_NO_MARK (K7). */
static void
put_change(
    struct buffer *to, const struct change *change, int node, int64_t mark, const char *own_user)
{
    buffer_printf(to, "BEGIN; %s", change->settings);
    bool other = strcmp(change->role, own_user) != 0;
    if (other) {
        buffer_add_text(to, "SET LOCAL ROLE ");
        put_name(to, change->role);
        buffer_add_text(to, "; ");
    }
    buffer_add_text(to, change->statement);
    buffer_add_text(to, "\n; "); /* it may end in a comment */
    if (other) {
        buffer_add_text(to, "RESET ROLE; ");
    }
    for (const char *line = change->extra; *line != '\0';) {
        const char *end = strchr(line, '\n');
        char *rest = NULL;
        long whose = strtol(line, &rest, 10);
        bool everybody = line[0] == '*' && node >= 0;
        if (end != NULL && (everybody || (rest != line && whose == node))) {
            const char *sql = everybody ? line + 1 : rest;
            buffer_add(to, sql, (size_t)(end - sql));
            buffer_add_text(to, "; ");
        }
        line = end == NULL ? line + strlen(line) : end + 1;
    }
    if (mark != CLUSTER_NO_MARK) {
        buffer_printf(to, "SELECT pg_catalog.tusk_replicated_mark(%lld, %lld); ", (long long)mark,
            (long long)change->version);
    }
    put_log(to, change);
}

/* K4. What is refused until it has worked is tried again by the keeper. */
static enum err
bring_epoch(struct task *task, struct router *router, struct diag *diag)
{
    struct cluster *cluster = router->cluster;
    struct sql_session *session = NULL;
    if (!cluster->epoch_due) {
        return ERR_OK;
    }
    TRY(open_session(task, router, &session, diag));
    enum err err = here(task, session, settle_epoch, diag);
    sql_session_delete(task, session);
    cluster->epoch_due = err != ERR_OK;
    if (err != ERR_OK) {
        world_log(router->world, "the epoch of routes is not known yet: %s", diag->message);
    }
    return err;
}

static void
roll_back(struct task *task, struct upstream *upstream)
{
    struct diag ignored;
    if (!upstream->broken && upstream->status != 'I') {
        (void)!node_query(task, upstream, "ROLLBACK", NULL, NULL, &ignored);
    }
}

/* A string of statements that may fail in the middle of its block. */
static enum err
apply_on(struct task *task, struct router *router, struct upstream *upstream,
    const struct change *change, int64_t mark, struct diag *diag)
{
    struct buffer text = {0};
    put_change(&text, change, (int)upstream->pool->shard_number, mark, router->cluster->user);
    buffer_add_text(&text, "; COMMIT");
    buffer_add_u8(&text, 0);
    enum err err = node_query(task, upstream, (const char *)text.data, NULL, NULL, diag);
    if (err != ERR_OK) {
        roll_back(task, upstream);
    }
    buffer_destroy(&text);
    return err;
}

static char *
copy_value(struct slice value)
{
    char *copy = mem_zalloc(value.size + 1);
    if (value.size > 0) {
        memcpy(copy, value.data, value.size);
    }
    return copy;
}

enum err
cluster_read_number(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    (void)diag;
    char number[24] = "";
    if (count == 1 && values[0].size < sizeof number) {
        memcpy(number, values[0].data, values[0].size);
        *(int64_t *)arg = strtoll(number, NULL, 10);
    }
    return ERR_OK;
}

static enum err
read_change(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct change *change = arg;
    if (count != 5) {
        return diag_set(diag, ERR_PROTOCOL, "tusk_cluster.ddl is not what it should be");
    }
    TRY(cluster_read_number(&change->version, values, 1, diag));
    change->statement = copy_value(values[1]);
    change->role = copy_value(values[2]);
    change->settings = copy_value(values[3]);
    change->extra = copy_value(values[4]);
    return ERR_OK;
}

static void
change_destroy(struct change *change)
{
    mem_free(change->statement);
    mem_free(change->role);
    mem_free(change->settings);
    mem_free(change->extra);
    *change = (struct change){0};
}

static enum err
fetch_change(struct task *task, struct router *router, int64_t version, struct change *change,
    struct diag *diag)
{
    char text[96];
    (void)snprintf(text, sizeof text, "SELECT * FROM tusk_cluster.ddl WHERE version = %lld",
        (long long)version);
    TRY(cluster_at_node(task, router, 0, text, read_change, change, diag));
    return change->version == version
               ? ERR_OK
               : diag_set(diag, ERR_INTERNAL, "version %lld of the schema is missing",
                     (long long)version);
}

enum err
cluster_change_at(struct task *task, struct router *router, struct upstream *upstream,
    int64_t version, int64_t mark, struct diag *diag)
{
    struct change change = {0};
    int64_t left = 0;
    char text[96];
    (void)snprintf(text, sizeof text,
        "SELECT count(*) FROM tusk_cluster.nodes WHERE number = %u AND dropped",
        upstream->pool->shard_number);
    TRY(node_query(task, upstream, text, cluster_read_number, &left, diag));
    if (left > 0) { /* K9 */
        return diag_set(diag, ERR_OBJECT_STATE, "node %u has been dropped, and its server says so",
            upstream->pool->shard_number);
    }
    enum err err = fetch_change(task, router, version, &change, diag);
    if (err == ERR_OK) {
        err = apply_on(task, router, upstream, &change, mark, diag);
    }
    change_destroy(&change);
    return err;
}

/* Another has made the change of that number. Any other row that is twice is no such thing: who
 * took it for that would leave the change out. */
static bool
is_taken(enum err err, const struct diag *diag)
{
    return err == ERR_UNIQUE && strcmp(diag->constraint, "ddl_pkey") == 0;
}

/* K3, of a node whose rows of replicated tables are copied afterwards, or of changes that are older
 * than their list. */
static enum err
catch_up_on(struct task *task, struct router *router, struct upstream *upstream, int64_t to,
    struct diag *diag)
{
    int64_t at = 0;
    TRY(node_query(task, upstream, read_version, cluster_read_number, &at, diag));
    for (; at < to; at++) {
        enum err err = cluster_change_at(task, router, upstream, at + 1, CLUSTER_NO_MARK, diag);
        if (err != ERR_OK && !is_taken(err, diag)) {
            return err;
        }
    }
    return ERR_OK;
}

/* K7, to the number that the list had when its schema was at `to` or later. */
static enum err
catch_up(struct task *task, struct router *router, uint32_t node, int64_t to, uint64_t list,
    struct diag *diag)
{
    struct upstream *upstream = NULL;
    uint64_t reached = 0;
    TRY(copies_bring(task, router, node, list, &reached, diag));
    TRY(cluster_connect(task, router, node, &upstream, diag));
    enum err err = catch_up_on(task, router, upstream, to, diag);
    pool_release(task, upstream);
    return err;
}

static enum err
catch_up_here(struct task *task, struct router *router, int64_t to, struct diag *diag)
{
    struct cluster *cluster = router->cluster;
    struct sql_session *session = NULL;
    if ((int64_t)cluster->version >= to) {
        return ERR_OK;
    }
    TRY(open_session(task, router, &session, diag));
    enum err err = ERR_OK;
    while (err == ERR_OK && (int64_t)cluster->version < to) {
        struct change change = {0};
        err = fetch_change(task, router, (int64_t)cluster->version + 1, &change, diag);
        if (err == ERR_OK && cluster->applied < change.version) { /* K8 */
            struct buffer text = {0};
            put_change(&text, &change, -1, CLUSTER_NO_MARK, cluster->user);
            buffer_add_text(&text, "; COMMIT");
            buffer_add_u8(&text, 0);
            err = here(task, session, (const char *)text.data, diag);
            buffer_destroy(&text);
            cluster->applied = err == ERR_OK ? change.version : cluster->applied;
        }
        if (err == ERR_OK && change.extra[0] == '*') { /* before the version: K4 */
            err = nodes_load(task, router, diag);
            err = err == ERR_OK ? here(task, session, settle_epoch, diag) : err;
        }
        change_destroy(&change);
        if (err == ERR_OK) {
            cluster->version++;
        }
    }
    sql_session_delete(task, session);
    return err;
}

/* The first node's versions, of the schema and (not older) of its list of changes. */
static enum err
newest_version(
    struct task *task, struct router *router, int64_t *version, uint64_t *list, struct diag *diag)
{
    int64_t number = 0;
    TRY(cluster_at_node(task, router, 0, read_version, cluster_read_number, version, diag));
    TRY(cluster_at_node(task, router, 0, "SELECT pg_catalog.tusk_replicated_version()",
        cluster_read_number, &number, diag));
    *list = (uint64_t)number;
    copies_note(router, *list);
    return ERR_OK;
}

/* Everybody to the first node's version; who cannot be reached is tried again later. */
static enum err
synchronize(struct task *task, struct router *router, bool others, struct diag *diag)
{
    int64_t version = 0;
    uint64_t list = 0;
    TRY(newest_version(task, router, &version, &list, diag));
    TRY(catch_up_here(task, router, version, diag));
    enum err result = ERR_OK;
    for (uint32_t i = 1; others && i < router->node_count; i++) {
        if (router->nodes[i].dropped) {
            continue;
        }
        enum err err = catch_up(task, router, i, version, list, diag);
        result = err == ERR_OK ? result : err;
    }
    return result;
}

enum err
cluster_refresh(struct task *task, struct router *router, struct diag *diag)
{
    struct cluster *cluster = router->cluster;
    uint64_t before = cluster->refreshes;
    enum err err = ERR_OK;
    lock(task, cluster);
    if (cluster->refreshes == before) { /* else another has asked since, for us, too */
        cluster->refreshes++;
        struct diag ignored;
        (void)!synchronize(task, router, true, &ignored);
        err = load_map(task, router, diag);
    }
    unlock(cluster);
    return err;
}

void
cluster_refresh_within(struct task *task, struct router *router)
{
    struct cluster *cluster = router->cluster;
    struct diag ignored;
    bool free = false;
    if (atomic_compare_exchange_strong(&cluster->changing, &free, true)) {
        (void)!(load_map(task, router, &ignored) == ERR_OK);
        unlock(cluster);
    }
    uint64_t rounds = cluster->rounds;
    int64_t until = world_clock_us(router->world) + KEEPER_WAIT_US;
    if (cluster->keeper != NULL) {
        task_unpark(cluster->keeper);
        while (cluster->rounds == rounds && world_clock_us(router->world) < until) {
            task_sleep(task, LOCK_PAUSE_US);
        }
    }
}

/* ---- a change ----------------------------------------------------------------------------------
 */

struct look {
    struct router *router;
    struct buffer *extra;
    oid_t newest;        /* what was there before has no larger number */
    bool temporary;      /* something new is */
    bool changes_routes; /* K4 */
};

/* Does an older router's statement still mean the same rows? What is made new (note_new looks
 * whether it hides something) and what does not concern where rows are. */
static bool
keeps_routes(const struct ast_node *body)
{
    switch ((enum ast_kind)body->kind) {
    case AST_CREATE_TABLE:
    case AST_CREATE_INDEX:
    case AST_CREATE_SCHEMA:
    case AST_CREATE_SEQUENCE:
    case AST_CREATE_ROLE:
    case AST_CREATE_ENUM:
    case AST_ALTER_ROLE:
    case AST_TRUNCATE:
    case AST_COMMENT:
    case AST_GRANT:
    case AST_CREATE_SAGA:
    case AST_DROP_SAGA:
        return true;
    case AST_ALTER_TABLE: {
        AST_FOREACH(at, ast_as_alter_table(body)->actions)
        {
            enum ast_alter_kind kind = ast_as_alter_action(*at)->kind;
            if (kind == AST_ALTER_SET_SCHEMA || kind == AST_ALTER_SPLIT_BUCKET) {
                return false;
            }
        }
        return true;
    }
    default:
        return false;
    }
}

/* A name that stands in another schema, too, may have meant that one. */
static bool
hides_another(const struct sql_inspection *inspection, const struct relation *relation)
{
    const struct relation *other;
    for (size_t i = 0; (other = catalog_relation_at(inspection->catalog, i)) != NULL; i++) {
        if (other != relation && strcmp(other->name, relation->name) == 0) {
            return true;
        }
    }
    return false;
}

static enum err
note_newest(void *arg, const struct sql_inspection *inspection)
{
    struct look *look = arg;
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(inspection->catalog, i)) != NULL; i++) {
        look->newest = relation->oid > look->newest ? relation->oid : look->newest;
    }
    return ERR_OK;
}

/* Buckets in runs of equal length over the nodes; LIST's where they were asked for. */
static uint32_t
place_of(const struct router *router, const struct sharding *sharding, uint32_t bucket)
{
    const char *on = sharding->places == NULL ? NULL : sharding->places[bucket];
    int named = on == NULL ? -1 : router_node(router, on);
    if (named >= 0) {
        return (uint32_t)named;
    }
    uint32_t living[ROUTER_NODES_MAX], count = 0;
    for (uint32_t i = 0; i < router->node_count; i++) {
        if (!router->nodes[i].dropped) {
            living[count++] = i;
        }
    }
    return living[(uint64_t)bucket * count / sharding->scheme.bucket_count];
}

static void
put_buckets(const struct router *router, const struct relation *relation, struct buffer *to)
{
    const struct sharding *sharding = relation->sharding;
    for (uint32_t node = 0; node < router->node_count; node++) {
        struct buffer ranges = {0};
        for (uint32_t bucket = 0; bucket < sharding->scheme.bucket_count; bucket++) {
            uint32_t last = bucket;
            if (place_of(router, sharding, bucket) != node) {
                continue;
            }
            while (last + 1 < sharding->scheme.bucket_count &&
                   place_of(router, sharding, last + 1) == node) {
                last++;
            }
            buffer_printf(&ranges, "%s%u-%u", ranges.size == 0 ? "" : ",", bucket, last);
            bucket = last;
        }
        if (ranges.size > 0) {
            buffer_printf(to, "%u SELECT tusk_assign_buckets(", node);
            put_quoted(to, sharding->group);
            buffer_printf(to, ", '%.*s', 1)\n", (int)ranges.size, (const char *)ranges.data);
        }
        buffer_destroy(&ranges);
    }
}

static enum err
note_new(void *arg, const struct sql_inspection *inspection)
{
    struct look *look = arg;
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(inspection->catalog, i)) != NULL; i++) {
        if (relation->oid <= look->newest) {
            continue;
        }
        const struct sharding *sharding = relation->sharding;
        look->changes_routes = look->changes_routes || hides_another(inspection, relation);
        look->temporary = look->temporary || relation_is_temporary(relation);
        if (sharding != NULL && sharding->scheme.kind != SHARD_REPLICATED) {
            size_t dot = strlen(relation->schema_name);
            bool first = strncmp(sharding->group, relation->schema_name, dot) == 0 &&
                         sharding->group[dot] == '.' &&
                         strcmp(sharding->group + dot + 1, relation->name) == 0;
            if (first) {
                put_buckets(look->router, relation, look->extra);
            }
        }
        if (relation->kind == RELATION_SEQUENCE) {
            numbers_put_first_blocks(look->router, relation, look->extra);
        }
    }
    return ERR_OK;
}

/* ADD COLUMN whose value every row can have. */
static bool
any_row_allows(const struct ast_column_def *column)
{
    AST_FOREACH(at, column->constraints)
    {
        const struct ast_constraint *constraint = ast_as_constraint(*at);
        if (constraint->kind != AST_CONSTRAINT_NULL &&
            (constraint->kind != AST_CONSTRAINT_DEFAULT || constraint->expr->kind != AST_CONST)) {
            return false;
        }
    }
    return true;
}

/* K6 */
static bool
rows_may_contradict(const struct ast_node *body)
{
    if (body->kind != AST_ALTER_TABLE) {
        return body->kind == AST_CREATE_INDEX;
    }
    AST_FOREACH(at, ast_as_alter_table(body)->actions)
    {
        const struct ast_alter_action *action = ast_as_alter_action(*at);
        switch (action->kind) {
        case AST_ALTER_ADD_COLUMN:
            if (!any_row_allows(action->column)) {
                return true;
            }
            break;
        case AST_ALTER_COLUMN_TYPE:
        case AST_ALTER_SET_NOT_NULL:
        case AST_ALTER_ADD_IDENTITY:
        case AST_ALTER_ADD_CONSTRAINT:
        case AST_ALTER_VALIDATE_CONSTRAINT:
            return true;
        default:
            break;
        }
    }
    return false;
}

/* What it is by its words. */
static enum err
judge_change(const char *text, bool *changes_routes, bool *needs_all, struct diag *diag)
{
    struct arena arena;
    struct ast_list *list = NULL;
    arena_create(&arena, "change");
    enum err err = parser_parse(&arena, text, strlen(text), &list, diag);
    *changes_routes = err != ERR_OK || ast_list_count(list) != 1 ||
                      !keeps_routes(ast_as_statement(ast_list_at(list, 0))->body);
    *needs_all = false;
    for (uint32_t i = 0; err == ERR_OK && i < ast_list_count(list); i++) {
        const struct ast_node *body = ast_as_statement(ast_list_at(list, i))->body;
        *needs_all = *needs_all || rows_may_contradict(body) || body->kind == AST_TRUNCATE;
    }
    arena_destroy(&arena);
    return err;
}

/* In front of what nodes do for other reasons: by that it is found (settle_epoch). */
static void
put_epoch(struct buffer *extra, int64_t version)
{
    struct buffer all = {0};
    buffer_printf(&all, "* SELECT pg_catalog.tusk_route_epoch(%lld)\n", (long long)version);
    buffer_add(&all, extra->data, extra->size);
    buffer_destroy(extra);
    *extra = all;
}

enum err
cluster_look(struct task *task, struct sql_session *session,
    enum err (*look)(void *arg, const struct sql_inspection *inspection), void *arg,
    struct diag *diag)
{
    struct arena arena;
    struct ast_list *list = NULL;
    arena_create(&arena, "look");
    enum err err = parser_parse(&arena, "SELECT 1", 8, &list, diag);
    if (err == ERR_OK) {
        err = sql_session_inspect(task, session, ast_as_statement(ast_list_at(list, 0))->body,
            "SELECT 1", NULL, 0, 0, look, arg, diag);
    }
    arena_destroy(&arena);
    return err;
}

enum err
cluster_look_here(struct task *task, struct router *router,
    enum err (*look)(void *arg, const struct sql_inspection *inspection), void *arg,
    struct diag *diag)
{
    struct sql_session *session = NULL;
    TRY(open_session(task, router, &session, diag));
    enum err err = cluster_look(task, session, look, arg, diag);
    sql_session_delete(task, session);
    return err;
}

static enum err
silently(struct task *task, struct sql_session *session, struct buffer *out, const char *text,
    struct diag *diag)
{
    size_t before = out->size;
    enum err err = sql_session_query(task, session, text, strlen(text), diag);
    out->size = before;
    return err;
}

/* A change on its way: a transaction at each node that can be reached. */
struct definition {
    struct router *router;
    struct change change;
    bool needs_all; /* K6 */
    int64_t mark;   /* K7 */
    struct upstream *at[ROUTER_NODES_MAX];
};

static enum err
ask_node(struct task *task, struct definition *definition, uint32_t node, struct diag *diag)
{
    struct router *router = definition->router;
    struct upstream **at = &definition->at[node];
    TRY(cluster_connect(task, router, node, at, diag));
    if (node > 0) {
        uint64_t reached = 0;
        TRY(copies_bring_on(task, router, *at, (uint64_t)definition->mark - 1, &reached, diag));
        TRY(catch_up_on(task, router, *at, definition->change.version - 1, diag));
    }
    struct buffer text = {0};
    put_change(&text, &definition->change, (int)node,
        node > 0 ? definition->mark : CLUSTER_NEW_MARK, router->cluster->user);
    upstream_put_query(*at, text.data, text.size);
    buffer_destroy(&text);
    return upstream_flush(task, *at, diag);
}

static void
give_back(struct task *task, struct definition *definition, uint32_t node)
{
    if (definition->at[node] != NULL) {
        roll_back(task, definition->at[node]);
        pool_release(task, definition->at[node]);
        definition->at[node] = NULL;
    }
}

/* A node that is not there, or that another change has left behind. */
static enum err
node_is_away(struct task *task, struct definition *definition, uint32_t node, enum err err,
    struct diag *diag)
{
    struct upstream *upstream = definition->at[node];
    bool behind = upstream != NULL && upstream->status == 'I'; /* it has not begun with this one */
    if (err != ERR_SHARD_UNREACHABLE && err != ERR_SHARD_LOST && err != ERR_SHARD_LOGIN &&
        !behind) {
        return err;
    }
    if (definition->needs_all) {
        char words[DIAG_TEXT_MAX];
        (void)snprintf(words, sizeof words, "%s", diag->message);
        (void)diag_set(diag, ERR_SHARD_UNREACHABLE,
            "node \"%s\" has to say whether its rows allow this, and cannot",
            definition->router->nodes[node].name);
        diag_detail(diag, "%s", words);
        return ERR_SHARD_UNREACHABLE;
    }
    give_back(task, definition, node);
    return ERR_OK;
}

/* K5: the first node's transaction says who is first among routers; the others' are then all on
 * their way before the first of them is waited for. */
static enum err
ask_nodes(struct task *task, struct definition *definition, struct diag *diag)
{
    struct router *router = definition->router;
    TRY(ask_node(task, definition, 0, diag));
    TRY(node_query(task, definition->at[0], NULL, cluster_read_number, &definition->mark, diag));
    enum err result = ERR_OK;
    for (uint32_t i = 1; result == ERR_OK && i < router->node_count; i++) {
        enum err err = router->nodes[i].dropped ? ERR_OK : ask_node(task, definition, i, diag);
        result = err == ERR_OK ? ERR_OK : node_is_away(task, definition, i, err, diag);
    }
    for (uint32_t i = 1; i < router->node_count; i++) {
        struct diag ignored;
        bool fine = result == ERR_OK;
        if (definition->at[i] == NULL) {
            continue;
        }
        enum err err =
            node_query(task, definition->at[i], NULL, NULL, NULL, fine ? diag : &ignored);
        if (err != ERR_OK && fine) {
            result = node_is_away(task, definition, i, err, diag);
        }
    }
    return result;
}

/* From the first node's COMMIT on it is only a matter of time. */
static enum err
commit_at_nodes(
    struct task *task, struct definition *definition, bool *everywhere, struct diag *diag)
{
    struct router *router = definition->router;
    TRY(node_query(task, definition->at[0], "COMMIT", NULL, NULL, diag));
    copies_note(router, (uint64_t)definition->mark);
    *everywhere = true;
    for (uint32_t i = 1; i < router->node_count; i++) {
        struct diag why;
        enum err err = ERR_OK;
        diag_clear(&why);
        if (definition->at[i] != NULL) {
            err = node_query(task, definition->at[i], "COMMIT", NULL, NULL, &why);
        }
        if (!router->nodes[i].dropped && (err != ERR_OK || definition->at[i] == NULL)) {
            world_log(router->world, "node \"%s\" has not version %lld of the schema yet%s%s",
                router->nodes[i].name, (long long)definition->change.version,
                err == ERR_OK ? "" : ": ", why.message);
            *everywhere = false;
        }
    }
    return ERR_OK;
}

/* This engine, too, and its routes. */
static enum err
commit_here(struct task *task, struct definition *definition, struct sql_session *session,
    struct buffer *out, bool changes_routes)
{
    struct cluster *cluster = definition->router->cluster;
    struct diag ignored;
    struct buffer log = {0};
    put_log(&log, &definition->change);
    buffer_add_text(&log, "; COMMIT");
    buffer_add_u8(&log, 0);
    enum err err = silently(task, session, out, (const char *)log.data, &ignored);
    buffer_destroy(&log);
    TRY(err);
    cluster->applied = definition->change.version;
    cluster->epoch_due = changes_routes;
    (void)!bring_epoch(task, definition->router, &ignored); /* before the version: K4 */
    cluster->version++;
    return ERR_OK;
}

static char *
settings_of(const struct sql_session *session)
{
    static const char *const names[] = {
        "search_path", "TimeZone", "DateStyle", "IntervalStyle", "bytea_output"};
    struct buffer text = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        sql_session_setting_put_local(session, names[i], &text);
    }
    buffer_add_u8(&text, 0);
    char *copy = mem_strdup((const char *)text.data);
    buffer_destroy(&text);
    return copy;
}

/* One attempt. ERR_UNIQUE from the first node: another router was faster (K2). *everywhere: no node
 * is behind. */
static enum err
define_once(struct task *task, struct router *router, struct sql_session *session,
    struct buffer *out, const char *text, bool *everywhere, struct diag *diag)
{
    struct cluster *cluster = router->cluster;
    struct buffer extra = {0};
    struct look look = {.router = router, .extra = &extra};
    struct definition definition = {.router = router};
    size_t before = out->size;
    TRY(judge_change(text, &look.changes_routes, &definition.needs_all, diag));
    TRY(synchronize(task, router, false, diag));
    TRY(cluster_look(task, session, note_newest, &look, diag));
    TRY(silently(task, session, out, "BEGIN", diag));
    /* Here first: what is wrong with it is said before any node hears of it. */
    enum err err = sql_session_query(task, session, text, strlen(text), diag);
    if (err == ERR_OK) {
        err = cluster_look(task, session, note_new, &look, diag);
    }
    if (err == ERR_OK && look.temporary) {
        err = refuse(REFUSED_SESSION_STATE, diag);
    }
    int64_t version = (int64_t)cluster->version + 1;
    if (look.changes_routes) {
        put_epoch(&extra, version);
    }
    buffer_add_u8(&extra, 0);
    definition.change = (struct change){
        .version = version,
        .statement = mem_strdup(text),
        .role = mem_strdup(sql_session_env(session)->user),
        .settings = settings_of(session),
        .extra = mem_strdup((const char *)extra.data),
    };
    buffer_destroy(&extra);
    *everywhere = true;
    if (err == ERR_OK) {
        err = ask_nodes(task, &definition, diag);
    }
    if (err == ERR_OK) {
        err = commit_at_nodes(task, &definition, everywhere, diag);
    }
    for (uint32_t i = 0; i < ROUTER_NODES_MAX; i++) {
        give_back(task, &definition, i);
    }
    struct diag ignored;
    if (err == ERR_OK) {
        if (commit_here(task, &definition, session, out, look.changes_routes) != ERR_OK) {
            *everywhere = false;
        }
        (void)!load_map(task, router, &ignored);
    } else {
        out->size = before;
    }
    if (sql_session_status(session) != 'I') {
        (void)!silently(task, session, out, "ROLLBACK", &ignored);
    }
    change_destroy(&definition.change);
    return err;
}

enum err
cluster_define(struct task *task, struct router *router, struct sql_session *session,
    struct buffer *out, const char *text, struct diag *diag)
{
    struct cluster *cluster = router->cluster;
    bool everywhere = true;
    enum err err = ERR_OK;
    bool late = true; /* the number was taken: K2 */
    lock(task, cluster);
    for (int attempt = 0; attempt < 10 && late; attempt++) {
        err = define_once(task, router, session, out, text, &everywhere, diag);
        late = is_taken(err, diag);
    }
    unlock(cluster);
    if (!everywhere && cluster->keeper != NULL) {
        struct diag notice;
        (void)diag_set(&notice, ERR_WARNING,
            "some nodes have not heard of this yet: they will when they can be reached");
        wire_put_diag(out, 'N', "WARNING", &notice);
    }
    return err;
}

enum err
cluster_define_own(struct task *task, struct router *router, const char *text, struct diag *diag)
{
    struct sql_session *session = NULL;
    struct buffer out = {0};
    TRY(open_session(task, router, &session, diag));
    enum err err = cluster_define(task, router, session, &out, text, diag);
    sql_session_delete(task, session);
    buffer_destroy(&out);
    return err;
}

/* ---- changes of the nodes (nodes.c) ------------------------------------------------------------
 */

void
cluster_lock(struct task *task, struct router *router)
{
    lock(task, router->cluster);
}

void
cluster_unlock(struct router *router)
{
    unlock(router->cluster);
}

enum err
cluster_synchronize(struct task *task, struct router *router, bool others, struct diag *diag)
{
    return synchronize(task, router, others, diag);
}

enum err
cluster_bring_member(struct task *task, struct router *router, uint32_t node, struct diag *diag)
{
    int64_t version = 0;
    uint64_t list = 0;
    TRY(newest_version(task, router, &version, &list, diag));
    return catch_up(task, router, node, version, list, diag);
}

enum err
cluster_bring(
    struct task *task, struct router *router, struct upstream *upstream, struct diag *diag)
{
    return catch_up_on(task, router, upstream, router->cluster->version, diag);
}

enum err
cluster_append(struct task *task, struct router *router, struct upstream *first, const char *words,
    const char *lines, struct diag *diag)
{
    struct cluster *cluster = router->cluster;
    struct buffer extra = {0};
    int64_t version = (int64_t)cluster->version + 1;
    buffer_add_text(&extra, lines);
    put_epoch(&extra, version);
    buffer_add_u8(&extra, 0);
    struct change change = {
        .version = version,
        .statement = mem_strdup(words),
        .role = mem_strdup(cluster->user),
        .settings = mem_strdup(""),
        .extra = mem_strdup((const char *)extra.data),
    };
    buffer_destroy(&extra);
    enum err err = apply_on(task, router, first, &change, CLUSTER_NEW_MARK, diag);
    change_destroy(&change);
    return err;
}

/* ---- life --------------------------------------------------------------------------------------
 */

/* Brings nodes up to date that were away, and this router when another has changed the schema. */
static void
keeper_main(struct task *task, void *arg)
{
    struct router *router = arg;
    struct cluster *cluster = router->cluster;
    cluster->keeper = task;
    while (!cluster->closing) {
        task_park(task, world_clock_us(router->world) + router->limits.sync_pause_us);
        if (!cluster->closing) {
            struct diag diag;
            lock(task, cluster);
            (void)!bring_epoch(task, router, &diag);
            (void)!synchronize(task, router, true, &diag);
            copies_keep(task, router);
            copies_forget(task, router);
            unlock(cluster);
            cluster->rounds++;
        }
    }
    cluster->keeper = NULL;
    cluster->closed = true;
}

/* A node is away, or goes at this moment, or another router is at the same: the keeper goes on. */
static bool
is_over_soon(enum err err)
{
    return err == ERR_SHARD_UNREACHABLE || err == ERR_SHARD_LOST || err == ERR_REPLICATED_BEHIND ||
           err == ERR_SERIALIZATION;
}

/* Until the first node, and at first whoever knows the others, can be asked, nothing can be served:
 * what all agree on is there. */
static enum err
open_nodes(struct task *task, struct router *router, struct diag *diag)
{
    int64_t told_us = 0;
    for (;;) {
        enum err err = nodes_open(task, router, diag);
        if (err == ERR_OK) {
            err = cluster_at_node(task, router, 0, cluster_create_list, NULL, NULL, diag);
        }
        if (err != ERR_SHARD_UNREACHABLE && err != ERR_SHARD_LOST) {
            return err;
        }
        TRY(nodes_wait(task, router, &told_us, diag));
    }
}

/* Not before this engine has all that the first node has: what is not known here is said to be
 * nowhere. */
static enum err
open_schema(struct task *task, struct router *router, struct diag *diag)
{
    int64_t told_us = 0;
    for (;;) {
        enum err err = synchronize(task, router, false, diag);
        if (!is_over_soon(err)) {
            return err;
        }
        TRY(nodes_wait(task, router, &told_us, diag));
    }
}

enum err
cluster_open(struct task *task, struct router *router, struct diag *diag)
{
    struct cluster *cluster = mem_zalloc(sizeof *cluster);
    router->cluster = cluster;
    copies_open(router);
    cluster->user = sql_config_text(router->config, "router_user");
    cluster->database = "postgres";
    cluster->sink = (struct sql_sink){
        .arg = cluster,
        .describe = sink_describe,
        .row = sink_row,
        .complete = sink_complete,
        .empty = sink_empty,
        .notice = sink_notice,
        .parameter_status = sink_parameter,
    };
    struct sql_session *session = NULL;
    enum err err = open_session(task, router, &session, diag);
    if (err == ERR_OK) {
        err = here(task, session, cluster_create_list, diag);
    }
    if (err == ERR_OK) {
        err = here(task, session, open_list, diag);
    }
    if (err == ERR_OK) {
        err = here(task, session, settle_epoch, diag);
    }
    if (err == ERR_OK) {
        err = here(task, session, read_version, diag);
        cluster->version = (uint32_t)cluster->answer;
        cluster->applied = cluster->answer;
    }
    if (session != NULL) {
        sql_session_delete(task, session);
    }
    err = err == ERR_OK ? open_nodes(task, router, diag) : err;
    for (uint32_t i = 1; err == ERR_OK && i < router->node_count; i++) {
        err = router->nodes[i].dropped
                  ? ERR_OK
                  : cluster_at_node(task, router, i, cluster_create_list, NULL, NULL, diag);
        if (is_over_soon(err)) {
            world_log(router->world, "%s", diag->message);
            err = ERR_OK;
        }
    }
    err = err == ERR_OK ? open_schema(task, router, diag) : err;
    if (err == ERR_OK) {
        err = synchronize(task, router, true, diag);
        err = is_over_soon(err) ? ERR_OK : err;
    }
    if (err == ERR_OK) {
        err = load_map(task, router, diag);
        err = is_over_soon(err) ? ERR_OK : err;
    }
    if (err == ERR_OK) {
        copies_keep(task, router);
        err = task_spawn(
            router->world, (int)task_worker(task), "schema keeper", keeper_main, router, diag);
    } else {
        cluster->closed = true;
    }
    return err;
}

void
cluster_close(struct task *task, struct router *router)
{
    struct cluster *cluster = router->cluster;
    if (cluster == NULL) {
        return;
    }
    cluster->closing = true;
    while (!cluster->closed) {
        if (cluster->keeper != NULL) {
            task_unpark(cluster->keeper);
        }
        task_park(task, world_clock_us(router->world) + 10000);
    }
    copies_close(task, router);
    map_delete(cluster->map);
    mem_free(cluster);
    router->cluster = NULL;
}
