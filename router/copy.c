/*
 * router/copy.c - COPY FROM into tables whose rows are elsewhere: each row to the node that has its
 * bucket.
 *
 * The session takes the client's data apart, as it would for a table of its own
 * (sql/session/copy.c), and gives rows here; they go on as COPY of the same columns in text form, a
 * stream for each node. What is not in the list the node fills in (defaults, generated columns),
 * and the node checks the rows.
 *
 *   CP1. In a block rows go to the block's node, and to no other (4).
 *   CP2. Alone, a COPY is one transaction on one node. A row of a second node is refused (15), and
 *        nothing of the COPY stays; unless the client has set tusk.copy_spread: then it is one
 *        transaction on each node. They are committed one after the other when all nodes have taken
 *        and checked all rows; an error before that leaves nothing on any. A node that fails in its
 *        commit leaves those before it committed: the error says which.
 */
#include "base/mem.h"
#include "router/router.h"
#include "shard/route.h"
#include "sql/catalog/replicated.h"

enum {
    BATCH_SIZE = 32 * 1024,
};

struct copy_node {
    struct upstream *upstream; /* NULL: no row was for it */
    struct buffer rows;
};

struct remote_copy {
    const struct relation *relation;
    const uint16_t *columns;
    uint32_t column_count;
    bool in_block, spread;
    uint64_t epoch;
    uint32_t node_count; /* that have rows */
    uint32_t only;       /* the one, if it is one */
    struct buffer key;
    struct copy_node nodes[ROUTER_NODES_MAX];
};

static void
put_field(struct buffer *to, const struct eval_env *own, oid_t type, struct datum value)
{
    struct eval_env env = {.time_zone = "UTC", .extra_float_digits = 1, .catalog = own->catalog};
    struct buffer text = {0};
    if (value.null) {
        buffer_add_text(to, "\\N");
        return;
    }
    type_output(&env, type, value, &text);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        const char *escaped = c == '\\'   ? "\\\\"
                              : c == '\t' ? "\\t"
                              : c == '\n' ? "\\n"
                              : c == '\r' ? "\\r"
                                          : NULL;
        if (escaped != NULL) {
            buffer_add_text(to, escaped);
        } else {
            buffer_add_u8(to, c);
        }
    }
    buffer_destroy(&text);
}

static void
put_rows(struct copy_node *node)
{
    struct buffer *out = &node->upstream->out;
    size_t start = wire_begin(out, 'd');
    buffer_add(out, node->rows.data, node->rows.size);
    wire_end(out, start);
    node->rows.size = 0;
}

static bool
refers_to_replicated(const struct relation *relation)
{
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        if (relation_is_replicated(relation->foreign[i].referenced_table)) {
            return true;
        }
    }
    return false;
}

/* The node takes rows from here on. */
static enum err
begin_at(struct task *task, struct remote_cut *cut, uint32_t number, struct diag *diag)
{
    struct remote_copy *copy = cut->copy;
    struct copy_node *node = &copy->nodes[number];
    const struct eval_env *env = sql_session_env(cut->session);
    if (copy->in_block) {
        TRY(cut->pin(task, cut->pin_arg, number, &node->upstream, diag));
    } else {
        TRY(node_acquire(
            task, cut->worker, number, env->session_user, env->database, &node->upstream, diag));
        TRY(node_query(task, node->upstream, "BEGIN", NULL, NULL, diag));
    }
    struct shard_route route = {.epoch = copy->epoch,
        .replicated = relation_is_replicated(copy->relation) ? SHARD_REPLICATED_CHANGES
                      : refers_to_replicated(copy->relation) ? SHARD_REPLICATED_READS
                                                             : SHARD_REPLICATED_NONE,
        .replicated_version = copies_known(cut->worker->router)};
    struct buffer text = {0};
    struct arena arena;
    arena_create(&arena, "copy");
    upstream_put_route(node->upstream, &route);
    buffer_printf(&text, "COPY %s.%s", parser_quote_ident(&arena, copy->relation->schema_name),
        parser_quote_ident(&arena, copy->relation->name));
    for (uint32_t i = 0; i < copy->column_count; i++) {
        buffer_printf(&text, "%s%s", i == 0 ? " (" : ", ",
            parser_quote_ident(&arena, copy->relation->columns[copy->columns[i]].name));
    }
    buffer_add_text(&text, copy->column_count > 0 ? ") FROM STDIN" : " FROM STDIN");
    arena_destroy(&arena);
    upstream_put_query(node->upstream, text.data, text.size);
    buffer_destroy(&text);
    TRY(upstream_flush(task, node->upstream, diag));
    struct upstream_message message = {0};
    struct diag failure;
    enum err err = ERR_OK;
    while (message.type != 'G' && message.type != 'Z') {
        TRY(upstream_next(task, node->upstream, 0, &message, diag));
        if (message.type == 'E') {
            err = upstream_error(message.body, node->upstream->pool->shard->name, &failure);
        }
    }
    if (err != ERR_OK) {
        *diag = failure;
    }
    return err;
}

static enum err
copy_begin(struct task *task, void *arg, const struct relation *relation, const uint16_t *columns,
    uint32_t count, struct diag *diag)
{
    struct remote_cut *cut = arg;
    (void)task;
    const struct sharding *sharding = relation->sharding;
    bool replicated = relation_is_replicated(relation);
    if (replicated && relation->primary == NULL) {
        return refuse(REFUSED_REPLICATED, diag);
    }
    bool keyed = sharding == NULL || replicated;
    for (uint32_t i = 0; i < count; i++) {
        keyed |= !keyed && columns[i] == sharding->column;
    }
    if (!keyed) {
        return refuse(REFUSED_KEY_UNKNOWN, diag);
    }
    struct remote_copy *copy = mem_zalloc(sizeof *copy);
    *copy = (struct remote_copy){.relation = relation,
        .columns = columns,
        .column_count = count,
        .in_block = sql_session_status(cut->session) != 'I',
        .spread = strcmp(sql_session_setting(cut->session, "tusk.copy_spread"), "on") == 0,
        .epoch = catalog_route_epoch(sql_session_env(cut->session)->catalog)};
    cut->copy = copy;
    return ERR_OK;
}

static enum err
copy_row(struct task *task, void *arg, const struct datum *values, struct diag *diag)
{
    struct remote_cut *cut = arg;
    struct remote_copy *copy = cut->copy;
    const struct relation *relation = copy->relation;
    int number = 0;
    if (relation->sharding != NULL && !relation_is_replicated(relation)) {
        uint32_t bucket = 0;
        TRY(sharding_bucket(relation, values, &copy->key, &bucket, diag));
        number = cluster_owner(cut->worker->router->cluster, relation->sharding->group, bucket);
        if (number < 0) {
            return diag_set(diag, ERR_WRONG_BUCKET, "no node is known to have these rows");
        }
    }
    struct copy_node *node = &copy->nodes[number];
    if (node->upstream == NULL) {
        if (copy->node_count > 0 && (copy->in_block || !copy->spread)) {
            return refuse(copy->in_block ? REFUSED_SECOND_SHARD : REFUSED_COPY_SPREAD, diag);
        }
        TRY(begin_at(task, cut, (uint32_t)number, diag));
        copy->node_count++;
    }
    for (uint32_t i = 0; i < copy->column_count; i++) {
        uint16_t column = copy->columns[i];
        if (i > 0) {
            buffer_add_u8(&node->rows, '\t');
        }
        put_field(&node->rows, sql_session_env(cut->session), relation->columns[column].type,
            values[column]);
    }
    buffer_add_u8(&node->rows, '\n');
    if (node->rows.size >= BATCH_SIZE) {
        put_rows(node);
        return upstream_flush(task, node->upstream, diag);
    }
    return ERR_OK;
}

/* All nodes have taken all rows, and found them right. */
static enum err
copy_check(struct task *task, struct remote_cut *cut, struct diag *diag)
{
    struct remote_copy *copy = cut->copy;
    for (uint32_t i = 0; i < ROUTER_NODES_MAX; i++) {
        struct copy_node *node = &copy->nodes[i];
        if (node->upstream != NULL) {
            put_rows(node);
            wire_put_empty(&node->upstream->out, 'c');
            TRY(upstream_flush(task, node->upstream, diag));
        }
    }
    for (uint32_t i = 0; i < ROUTER_NODES_MAX; i++) {
        struct copy_node *node = &copy->nodes[i];
        if (node->upstream != NULL) {
            enum err err = node_query(task, node->upstream, NULL, NULL, NULL, diag);
            if (err == ERR_SEQUENCE_LIMIT) { /* the next attempt has numbers */
                struct diag ignored;
                (void)!numbers_extend(task, cut->worker->router, i, diag->message, &ignored);
            } else if (err == ERR_REPLICATED_BEHIND) {
                copies_catch_up(task, cut->worker->router, (int)i);
            } else if (err == ERR_WRONG_BUCKET || err == ERR_BUCKET_MOVING) {
                cluster_refresh_within(task, cut->worker->router);
            }
            TRY(err);
        }
    }
    return ERR_OK;
}

static void
copy_destroy(struct remote_cut *cut)
{
    for (uint32_t i = 0; i < ROUTER_NODES_MAX; i++) {
        buffer_destroy(&cut->copy->nodes[i].rows);
    }
    buffer_destroy(&cut->copy->key);
    mem_free(cut->copy);
    cut->copy = NULL;
}

/* CP2 */
static enum err
commit_all(struct task *task, struct remote_cut *cut, struct diag *diag)
{
    struct router *router = cut->worker->router;
    struct buffer done = {0};
    enum err err = ERR_OK;
    uint64_t committed = 0; /* of replicated tables */
    for (uint32_t i = 0; i < ROUTER_NODES_MAX && err == ERR_OK; i++) {
        struct copy_node *node = &cut->copy->nodes[i];
        if (node->upstream != NULL) {
            err = node_query(task, node->upstream, "COMMIT", NULL, NULL, diag);
            if (err == ERR_OK) {
                buffer_printf(&done, "%s%s", done.size == 0 ? "" : ", ", router->nodes[i].name);
                committed = node->upstream->committed;
                node->upstream->committed = 0;
                pool_release(task, node->upstream);
                node->upstream = NULL;
            }
        }
    }
    if (err != ERR_OK && done.size > 0) {
        diag_detail(diag,
            "The rows of %.*s are committed; those of other nodes are not, but for "
            "the one that has failed if its answer was lost.",
            (int)done.size, (const char *)done.data);
    }
    buffer_destroy(&done);
    return err != ERR_OK || committed == 0 ? err : copies_spread(task, router, committed, diag);
}

static void
copy_abort(struct task *task, void *arg)
{
    struct remote_cut *cut = arg;
    for (uint32_t i = 0; cut->copy != NULL && i < ROUTER_NODES_MAX; i++) {
        struct copy_node *node = &cut->copy->nodes[i];
        if (node->upstream != NULL) {
            node->upstream->broken = true; /* its transaction ends with it */
            if (!cut->copy->in_block) {
                pool_release(task, node->upstream);
            }
        }
    }
    if (cut->copy != NULL) {
        copy_destroy(cut);
    }
}

static enum err
copy_end(struct task *task, void *arg, struct diag *diag)
{
    struct remote_cut *cut = arg;
    enum err err = copy_check(task, cut, diag);
    if (err == ERR_OK && !cut->copy->in_block) {
        err = commit_all(task, cut, diag);
    }
    if (err == ERR_OK) {
        copy_destroy(cut);
    }
    return err;
}

const struct exec_remote_copy remote_copy_calls = {
    .begin = copy_begin, .row = copy_row, .end = copy_end, .abort = copy_abort};
