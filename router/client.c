/*
 * router/client.c - one client: its messages, told apart and sent on.
 *
 * Simple queries go on as they came. Of the extended protocol the router keeps what a client has
 * prepared, and prepares it at each connection when it is first bound there, under a name of its
 * own; Bind, Describe and Execute follow in the client's words. What is sent to the shard is noted
 * in `pending`, in order, so that each answer is known for what it is: the client's, or the
 * router's own business.
 *
 * Invariants
 *   R1. `upstream` is a connection that is in the middle of something of this client's: a
 *       transaction block, or what is left up to the next ReadyForQuery. Else it is in its pool.
 *   R2. The session's block mirrors the shard's: BEGIN, SAVEPOINT and so on are run by both, first
 *       there. As long as no shard has been met they are gathered in `prologue`, which is what the
 *       first one gets before its first statement.
 *   R3. Answers leave in the order of the messages they answer: nothing is appended to the client's
 *       output while `pending` holds what is due before it.
 *   R4. A statement is sent again only if nothing was sent, or if it changes nothing, is not in a
 *       block, and nothing of its answer has left for the client.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "parser/scanner.h"
#include "router/route.h"
#include "router/router.h"
#include "shard/route.h"

enum {
    FLUSH_SIZE = 32 * 1024,
    RETRY_PAUSE_US = 20000, /* at first; doubles */
    ASK_AGAIN_MAX = 100,    /* a bucket that is on its way stops for a moment only */
    ASK_AGAIN_PAUSE_US = 10000,
};

enum pending_kind {
    PENDING_PARSE, /* the router's: its ParseComplete is not the client's */
    PENDING_ONE,   /* an answer of one message: BindComplete, CloseComplete */
    PENDING_DESCRIBE,
    PENDING_EXECUTE,
    PENDING_SYNC,    /* the router says ReadyForQuery itself */
    PENDING_QUERY,   /* all is the client's but ReadyForQuery */
    PENDING_SILENT,  /* nothing is; an error is one of the router's */
    PENDING_SPECIAL, /* a Query in place of an Execute */
    PENDING_FAIL,    /* nothing is; the error was asked for */
    PENDING_SAY,     /* the router's word, when its turn has come */
};

struct pending {
    enum pending_kind kind;
    struct statement *statement; /* PARSE: not held, its client's statement does */
    uint32_t of;                 /* Bind, EXECUTE: the statement's number */
    bool plan;                   /* EXECUTE: the answer is one */
    char say;
};

struct named {
    struct list_node node;
    char *name;
    struct statement *statement; /* held */
    uint64_t shape;              /* of the rows that the client expects */
    bool local;                  /* the session knows it too */
    bool from_sql;               /* PREPARE */
};

struct bound {
    struct list_node node;
    char *name;
    struct statement *statement; /* held */
    char *text;                  /* SPECIAL: run by shard and session */
    struct buffer values;        /* BOUND: its Bind message behind the names */
    uint32_t rows_max;           /* of its last Execute */
    struct buffer route;         /* what the shard is told before each Execute */
    bool here;                   /* a statement of the block that the session runs, first */
    bool local;                  /* only the session knows it */
};

struct client {
    struct router *router;
    struct worker *worker;
    struct connection *connection;
    struct sql_session *session;
    struct upstream *upstream;
    struct upstream *last; /* that was this client's; pool_acquire */
    struct buffer prologue;
    size_t prologue_before; /* its size before the last piece, which may have failed */
    uint32_t settings_generation;
    uint32_t channels; /* the generation of the session's that the nodes know */
    char *settings;
    char *path; /* path_of, as of path_generation */
    uint32_t path_generation;
    struct remote_cut cut;
    struct buffer open_sagas; /* for the next statement; empty: it is not told */
    bool told;                /* one of this transaction was */
    bool settled;             /* tusk.saga_reads, as of settled_generation */
    uint32_t settled_generation;
    char *exhausted;           /* a sequence is at its end: what the shard says of it */
    uint32_t exhausted_at;     /* which */
    bool explains;             /* the answer is a plan: say where it is from */
    bool may_ask_again, stale; /* an error that says "elsewhere" is not the client's; it has come */
    bool behind;               /* it was about the version of replicated tables */
    uint64_t replicated;       /* the version known before the block's snapshot, or the statement */
    struct buffer held;        /* the answer to a commit that not all nodes know of yet */
    struct arena arena;        /* of one message */
    struct arena values;       /* EXECUTE's */
    struct list_node node;     /* worker->clients */
    struct list_node statements; /* struct named */
    uint32_t executes;           /* since the last Sync */
    struct bound *executed;
    struct list_node portals; /* struct bound: those at the shard */
    struct pending *pending;
    uint32_t pending_count, pending_at, pending_capacity;
    bool sent; /* something was, since the last ReadyForQuery of the shard */
    bool sync_ignored;
    bool skipping;    /* up to Sync, after an error of the shard */
    char *mirrored;   /* text for the session once the shard has run it */
    bool touched;     /* the session has part in this pipeline */
    bool failed;      /* the shard has said ErrorResponse */
    bool set;         /* settings were changed in this block, here and there */
    bool left;        /* part of the answer has left for the client */
    bool rolled_back; /* the last command was ROLLBACK, or was made one */
    bool key_local;   /* the block's end has taken a key with it, which was SET LOCAL */
    bool key_spent;   /* the idempotency key at the shard was this transaction's (R5) */
};

/* ---- small things ------------------------------------------------------------------------------
 */

static void
note_pending(struct client *client, enum pending_kind kind, struct statement *statement, char say)
{
    if (client->pending_count == client->pending_capacity) {
        client->pending_capacity =
            client->pending_capacity == 0 ? 16 : 2 * client->pending_capacity;
        client->pending =
            mem_realloc(client->pending, client->pending_capacity * sizeof *client->pending);
    }
    client->pending[client->pending_count++] =
        (struct pending){.kind = kind, .statement = statement, .say = say};
}

static bool
nothing_pending(const struct client *client)
{
    return client->pending_at == client->pending_count;
}

/* A message without content to the client, in its turn. */
static void
say(struct client *client, char type)
{
    if (nothing_pending(client)) {
        wire_put_empty(connection_out(client->connection), type);
    } else {
        note_pending(client, PENDING_SAY, NULL, type);
    }
}

static bool
is_cursor_there(const struct client *client, const struct statement *statement)
{
    if (statement->kind == ROUTE_NOTIFY) { /* L4 */
        return client->upstream != NULL;
    }
    return statement->kind == ROUTE_CURSOR && client->upstream != NULL &&
           !sql_session_has_portal(client->session, statement->cursor);
}

/* The session asks several nodes for rows. */
static bool
reads_spread(const struct statement *statement)
{
    return statement->route != NULL && statement->route->tables && !statement->loads;
}

static bool
reads_replicated(const struct statement *statement)
{
    return statement->route != NULL && statement->route->replicated;
}

static uint64_t
shape_of(const struct statement *statement)
{
    return statement->route == NULL ? 0 : statement->route->shape;
}

static struct named *
find_named(struct client *client, const char *name)
{
    LIST_FOREACH (node, &client->statements) {
        struct named *named = LIST_ENTRY(node, struct named, node);
        if (strcmp(named->name, name) == 0) {
            return named;
        }
    }
    return NULL;
}

static void
drop_named(struct client *client, struct named *named)
{
    list_remove(&named->node);
    statement_release(client->worker, named->statement);
    mem_free(named->name);
    mem_free(named);
}

static void
drop_all_named(struct client *client)
{
    while (!list_empty(&client->statements)) {
        drop_named(client, LIST_ENTRY(client->statements.next, struct named, node));
    }
}

static struct bound *
find_bound(struct client *client, const char *name)
{
    LIST_FOREACH (node, &client->portals) {
        struct bound *bound = LIST_ENTRY(node, struct bound, node);
        if (strcmp(bound->name, name) == 0) {
            return bound;
        }
    }
    return NULL;
}

static void
drop_bound(struct client *client, struct bound *bound)
{
    if (client->executed == bound) {
        client->executed = NULL;
    }
    list_remove(&bound->node);
    statement_release(client->worker, bound->statement);
    mem_free(bound->name);
    mem_free(bound->text);
    buffer_destroy(&bound->route);
    buffer_destroy(&bound->values);
    mem_free(bound);
}

static struct bound *
add_bound(struct client *client, const char *name, struct statement *statement)
{
    struct bound *bound = find_bound(client, name);
    if (bound != NULL) {
        drop_bound(client, bound);
    }
    bound = mem_zalloc(sizeof *bound);
    bound->name = mem_strdup(name);
    bound->statement = statement;
    statement->references++;
    list_push_front(&client->portals, &bound->node);
    return bound;
}

/* ---- the shard's connection --------------------------------------------------------------------
 */

/* The settings as they were before the block: SET in it is run by the shard as well. */
static const char *
current_settings(struct client *client)
{
    uint32_t generation = sql_session_settings_generation(client->session);
    if (client->settings == NULL ||
        (generation != client->settings_generation && sql_session_status(client->session) == 'I')) {
        struct buffer text = {0};
        sql_session_settings_put(client->session, &text);
        buffer_add_u8(&text, 0);
        mem_free(client->settings);
        client->settings = mem_strdup((const char *)text.data);
        client->settings_generation = generation;
        buffer_destroy(&text);
    }
    return client->settings;
}

/* What stands behind the settings of a connection whose idempotency key has been used up. */
static const char spent_key[] = "SET tusk.idempotency_key = '';\n";

static void
let_go(struct task *task, struct client *client)
{
    struct upstream *upstream = client->upstream;
    if (upstream == NULL) {
        return;
    }
    client->upstream = NULL;
    client->sent = client->told = false;
    client->key_local = false;
    client->pending_count = client->pending_at = 0;
    while (!list_empty(&client->portals)) {
        drop_bound(client, LIST_ENTRY(client->portals.next, struct bound, node));
    }
    if (client->set) { /* the block's end has left the same here and there */
        client->set = false;
        mem_free(upstream->settings);
        upstream->settings = mem_strdup(current_settings(client));
        upstream->broken |= sql_session_status(client->session) != 'I';
    }
    if (client->key_spent) { /* whoever comes next there is to set it anew, or not to have it */
        client->key_spent = false;
        char *old = upstream->settings;
        size_t size = strlen(old);
        upstream->settings = mem_alloc(size + sizeof spent_key);
        memcpy(upstream->settings, old, size);
        memcpy(upstream->settings + size, spent_key, sizeof spent_key);
        mem_free(old);
    }
    pool_release(task, upstream);
    sql_session_set_busy(client->session, false);
}

static void
silently(struct task *task, struct client *client, const char *text)
{
    struct buffer *out = connection_out(client->connection);
    size_t before = out->size;
    struct diag ignored;
    (void)!sql_session_query(task, client->session, text, strlen(text), &ignored);
    out->size = before;
}

/* A COMMIT that failed there has ended the block, and does here. */
static void
end_block(struct task *task, struct client *client)
{
    if (sql_session_status(client->session) != 'I') {
        silently(task, client, "ROLLBACK");
    }
}

static const char key_setting[] = "tusk.idempotency_key";

static bool
has_key(const struct client *client)
{
    return sql_session_setting(client->session, key_setting)[0] != '\0';
}

/* The shard has committed: a key that was SET, not LOCAL, was for that. */
static void
spend_key(struct task *task, struct client *client)
{
    if (!client->key_local && has_key(client) && sql_session_status(client->session) == 'I') {
        silently(task, client, "RESET tusk.idempotency_key");
        client->key_spent = true;
    }
}

/* Behind the shard's ReadyForQuery: is the connection still the client's? */
static void
settle(struct task *task, struct client *client)
{
    struct upstream *upstream = client->upstream;
    if (upstream == NULL) {
        return;
    }
    if (upstream->broken || upstream->status == 'E') {
        if (sql_session_status(client->session) == 'T') {
            sql_session_abort(task, client->session); /* R2 */
        }
    } else if (upstream->status == 'I' && client->failed) {
        end_block(task, client);
    } else if (upstream->status == 'I' && !client->rolled_back) {
        spend_key(task, client);
    }
    if (upstream->broken || upstream->status == 'I') {
        let_go(task, client);
    }
}

/* The client's COPY data to the shard, until the client ends it. */
static enum err
copy_in(struct task *task, struct client *client, struct diag *diag)
{
    struct upstream *upstream = client->upstream;
    bool extended = client->pending[client->pending_at].kind == PENDING_EXECUTE;
    client->left = true;
    TRY(connection_flush(task, client->connection, diag));
    if (extended && client->pending[client->pending_count - 1].kind == PENDING_SYNC) {
        client->pending_count--; /* a Sync within COPY is ignored, there as here (55.2.6) */
        client->sync_ignored = true;
    }
    for (;;) {
        char type = 0;
        struct slice body;
        enum err err = connection_next(task, client->connection, &type, &body, diag);
        if (err == ERR_QUERY_CANCELED) {
            task_interrupt_clear(task, TASK_CANCEL);
            size_t start = wire_begin(&upstream->out, 'f');
            wire_put_text(&upstream->out, "canceled by user request");
            wire_end(&upstream->out, start);
            return upstream_flush(task, upstream, diag);
        }
        if (err != ERR_OK) {
            upstream->broken = true; /* it has half a COPY */
            return err;
        }
        if (type == 'd' || type == 'c' || type == 'f') {
            size_t start = wire_begin(&upstream->out, type);
            buffer_add(&upstream->out, body.data, body.size);
            wire_end(&upstream->out, start);
        } else if (type != 'H' && type != 'S') {
            upstream->broken = true;
            return diag_set(diag, ERR_PROTOCOL,
                "unexpected message type 0x%02X during COPY from stdin", (unsigned char)type);
        }
        if (extended && (type == 'c' || type == 'f')) {
            wire_put_empty(&upstream->out, 'H');
        }
        if (type == 'c' || type == 'f' || upstream->out.size >= FLUSH_SIZE) {
            TRY(upstream_flush(task, upstream, diag));
        }
        if (type == 'c' || type == 'f') {
            return ERR_OK;
        }
    }
}

static bool
ends_answer(enum pending_kind kind, char type)
{
    switch (kind) {
    case PENDING_PARSE:
    case PENDING_ONE:
        return true;
    case PENDING_DESCRIBE:
        return type == 'T' || type == 'n';
    case PENDING_EXECUTE:
        return type == 'C' || type == 's' || type == 'I';
    default:
        return type == 'Z';
    }
}

/* After an error of the extended protocol the shard answers nothing up to Sync. */
static void
skip_to_sync(struct client *client)
{
    while (!nothing_pending(client) && client->pending[client->pending_at].kind != PENDING_SYNC) {
        client->pending_at++;
    }
    client->skipping = nothing_pending(client);
}

/* An error in which the shard names a prepared statement says the client's name for it. */
static void
put_error(struct client *client, const struct upstream_message *message)
{
    struct buffer *out = connection_out(client->connection);
    const char *text = wire_error_field(message->body, 'M');
    const char *found = strstr(text, "\"tusk_");
    const struct named *named = NULL;
    if (found != NULL) {
        unsigned long id = strtoul(found + sizeof "\"tusk_" - 1, NULL, 10);
        LIST_FOREACH (node, &client->statements) {
            const struct named *at = LIST_ENTRY(node, struct named, node);
            named = at->statement->id == id ? at : named;
        }
    }
    if (named == NULL) {
        buffer_add(out, message->whole.data, message->whole.size);
        return;
    }
    size_t before = (size_t)(found + 1 - (const char *)message->body.data);
    size_t after = before + strcspn(found + 1, "\"");
    size_t start = wire_begin(out, 'E');
    buffer_add(out, message->body.data, before);
    buffer_add_text(out, named->name);
    buffer_add(out, message->body.data + after, message->body.size - after);
    wire_end(out, start);
}

/* EXPLAIN's last line: which shard it was. */
static void
put_plan_line(struct client *client)
{
    char line[ROUTER_NAME_MAX + 16];
    struct buffer *out = connection_out(client->connection);
    int size = snprintf(line, sizeof line, "Route: node %s", client->upstream->pool->shard->name);
    size_t start = wire_begin(out, 'D');
    buffer_add_be16(out, 1);
    buffer_add_be32(out, (uint32_t)size);
    buffer_add(out, line, (size_t)size);
    wire_end(out, start);
}

/* One statement, alone in its pipeline and in no block, that the shard has not begun to answer; and
 * nobody waits for an answer before the Sync that is on its way. */
static bool
may_execute_again(const struct client *client)
{
    return client->executes == 1 && client->executed != NULL && client->executed->values.size > 0 &&
           !client->left && sql_session_status(client->session) == 'I' &&
           client->pending[client->pending_count - 1].kind == PENDING_SYNC &&
           client->pending_at + 2 == client->pending_count;
}

static void
note_stale(struct client *client, const struct upstream_message *message)
{
    client->stale = true;
    client->behind = strcmp(wire_error_field(message->body, 'C'), "TR006") == 0;
}

static const char rollback[] = "ROLLBACK";
static const char limit_reached[] = "2200H";
/* Clients know by it that they have to prepare anew, as PostgreSQL's routine is called. */
static const char changed_plan[] = "RevalidateCachedQuery";

static void
retire(struct client *client, uint32_t id)
{
    LIST_FOREACH (node, &client->statements) {
        struct named *named = LIST_ENTRY(node, struct named, node);
        named->statement->retired = named->statement->retired || named->statement->id == id;
    }
}

static bool
is_plan(const struct client *client, const struct pending *pending)
{
    return pending->plan || (pending->kind == PENDING_QUERY && client->explains);
}

/* One message of the shard for the first of what is pending. */
static enum err
take(struct task *task, struct client *client, const struct upstream_message *message,
    enum err *failure, struct diag *diag)
{
    struct pending *pending = &client->pending[client->pending_at];
    struct buffer *out = connection_out(client->connection);
    bool mine = pending->kind == PENDING_SILENT || pending->kind == PENDING_PARSE ||
                pending->kind == PENDING_SYNC || pending->kind == PENDING_FAIL;
    switch (message->type) {
    case 'S': /* the session tells the client of its settings */
    case 'A':
        return ERR_OK;
    case 'N':
        if (pending->kind != PENDING_SILENT && pending->kind != PENDING_FAIL) {
            buffer_add(out, message->whole.data, message->whole.size);
        }
        return ERR_OK;
    case 'E':
        if (pending->kind == PENDING_FAIL) {
            return ERR_OK;
        }
        if (pending->kind == PENDING_SILENT) {
            *failure = upstream_error(message->body, client->upstream->pool->shard->name, diag);
            client->upstream->broken = true; /* its settings are not what they should be */
            return ERR_OK;
        }
        client->failed = true;
        if (client->router->cluster != NULL &&
            strcmp(wire_error_field(message->body, 'C'), limit_reached) == 0) {
            mem_free(client->exhausted);
            client->exhausted = mem_strdup(wire_error_field(message->body, 'M'));
            client->exhausted_at = client->upstream->pool->shard_number;
        }
        if (client->may_ask_again && !client->left && pending->kind == PENDING_QUERY &&
            strncmp(wire_error_field(message->body, 'C'), "TR00", 4) == 0) {
            note_stale(client, message);
            return ERR_OK;
        }
        if (client->may_ask_again && !client->left && pending->kind == PENDING_QUERY &&
            strcmp(wire_error_field(message->body, 'C'), limit_reached) == 0) {
            client->stale = true;
            return ERR_OK;
        }
        if (pending->kind == PENDING_EXECUTE && may_execute_again(client) &&
            (strncmp(wire_error_field(message->body, 'C'), "TR00", 4) == 0 ||
                client->exhausted != NULL)) {
            note_stale(client, message);
            skip_to_sync(client);
            return ERR_OK;
        }
        if (strcmp(wire_error_field(message->body, 'R'), changed_plan) == 0) {
            retire(client, pending->of);
        }
        put_error(client, message);
        if (pending->kind != PENDING_QUERY && pending->kind != PENDING_SPECIAL) {
            skip_to_sync(client);
        }
        return ERR_OK;
    case 'G':
        buffer_add(out, message->whole.data, message->whole.size);
        return copy_in(task, client, diag);
    case 'Z':
        client->sent =
            client->sent && (pending->kind == PENDING_SILENT || pending->kind == PENDING_FAIL);
        if (pending->kind == PENDING_SPECIAL && client->failed) {
            client->pending_at++;
            skip_to_sync(client);
            return ERR_OK;
        }
        break;
    case 'C':
        client->rolled_back = message->body.size == sizeof rollback &&
                              memcmp(message->body.data, rollback, sizeof rollback) == 0;
        if (is_plan(client, pending)) {
            put_plan_line(client);
        }
        if (client->upstream->committed != 0 &&
            (pending->kind == PENDING_QUERY || pending->kind == PENDING_SPECIAL)) {
            buffer_add(&client->held, message->whole.data, message->whole.size); /* R11 */
            break;
        }
        __attribute__((fallthrough));
    default:
        if (!mine && !(pending->kind == PENDING_SPECIAL && message->type == 'T')) {
            buffer_add(out, message->whole.data, message->whole.size);
        }
        break;
    }
    if (ends_answer(pending->kind, message->type)) {
        if (pending->kind == PENDING_PARSE && pending->statement != NULL) {
            pending->statement->good = true;
            upstream_note_prepared(client->upstream, pending->statement->id);
        }
        client->pending_at++;
    }
    return ERR_OK;
}

/* The shard keeps its answers to itself up to a Sync, a query, or a Flush. */
static bool
must_ask(const struct client *client)
{
    for (uint32_t i = client->pending_count; i > client->pending_at; i--) {
        enum pending_kind kind = client->pending[i - 1].kind;
        if (kind != PENDING_SAY) {
            return kind == PENDING_PARSE || kind == PENDING_ONE || kind == PENDING_DESCRIBE ||
                   kind == PENDING_EXECUTE;
        }
    }
    return false;
}

/* Sends what waits to be sent, and takes the answers until nothing is pending. */
static enum err
drain(struct task *task, struct client *client, struct diag *diag)
{
    struct buffer *out = connection_out(client->connection);
    enum err failure = ERR_OK;
    if (client->upstream != NULL && must_ask(client)) {
        wire_put_empty(&client->upstream->out, 'H');
    }
    if (client->upstream != NULL) {
        TRY(upstream_flush(task, client->upstream, diag));
    }
    while (!nothing_pending(client)) {
        struct pending *pending = &client->pending[client->pending_at];
        if (pending->kind == PENDING_SAY) {
            wire_put_empty(out, pending->say);
            client->pending_at++;
            continue;
        }
        if (out->size >= FLUSH_SIZE) {
            client->left = true;
            enum err err = connection_flush(task, client->connection, diag);
            if (err != ERR_OK) {
                client->upstream->broken = true;
                return err;
            }
        }
        struct upstream_message message;
        TRY(upstream_next(task, client->upstream, 0, &message, diag));
        TRY(take(task, client, &message, &failure, diag));
        if (failure != ERR_OK && message.type == 'Z') {
            return failure;
        }
    }
    client->pending_count = client->pending_at = 0;
    return ERR_OK;
}

/* A connection to the shard for what follows (R1), in this client's settings and block. */
static enum err
pin(struct task *task, struct client *client, uint32_t shard, struct diag *diag)
{
    if (client->upstream != NULL) {
        return client->upstream->pool->shard_number == shard ? ERR_OK
                                                             : refuse(REFUSED_SECOND_SHARD, diag);
    }
    struct eval_env *env = sql_session_env(client->session);
    struct pool *pool = pool_of(client->worker, shard, env->session_user, env->database);
    TRY(pool_acquire(task, pool, &client->last, &client->upstream, diag));
    struct upstream *upstream = client->upstream;
    upstream->committed = 0;
    client->held.size = 0;
    sql_session_set_busy(client->session, true);
    const char *wanted = current_settings(client);
    if (strcmp(upstream->settings, wanted) != 0) {
        struct buffer text = {0};
        upstream_settings(upstream, wanted, &text);
        upstream_put_query(upstream, text.data, text.size);
        note_pending(client, PENDING_SILENT, NULL, 0);
        mem_free(upstream->settings);
        upstream->settings = mem_strdup(wanted);
        buffer_destroy(&text);
    }
    if (sql_session_status(client->session) == 'T') {
        upstream_put_query(upstream, client->prologue.data, client->prologue.size);
        note_pending(client, PENDING_SILENT, NULL, 0);
    }
    return ERR_OK;
}

/* R11. The answer that was held back leaves, unless not all nodes have the change. */
static enum err
spread(struct task *task, struct client *client, struct diag *diag)
{
    struct upstream *upstream = client->upstream;
    if (upstream == NULL || upstream->committed == 0) {
        return ERR_OK;
    }
    uint64_t version = upstream->committed;
    upstream->committed = 0;
    enum err err = copies_spread(task, client->router, version, diag);
    if (err == ERR_OK) {
        buffer_add(connection_out(client->connection), client->held.data, client->held.size);
    }
    client->held.size = 0;
    return err;
}

/* What the last refusal was about is looked at. */
static void
look_around(struct task *task, struct client *client, uint32_t attempt, int node)
{
    struct diag ignored;
    if (client->behind) {
        client->behind = false;
        copies_catch_up(task, client->router, node);
        return;
    }
    task_sleep(task, (int64_t)(attempt < 5 ? 1 : 5) * ASK_AGAIN_PAUSE_US);
    (void)!cluster_refresh(task, client->router, &ignored);
}

/* For rows that the session takes apart (copy.c). arg: struct client *. */
static enum err
pin_for_session(
    struct task *task, void *arg, uint32_t node, struct upstream **upstream, struct diag *diag)
{
    struct client *client = arg;
    TRY(pin(task, client, node, diag));
    TRY(drain(task, client, diag));
    *upstream = client->upstream;
    return ERR_OK;
}

/* What the session says next would else come before its turn (R3). */
static enum err
catch_up(struct task *task, struct client *client, struct diag *diag)
{
    return nothing_pending(client) ? ERR_OK : drain(task, client, diag);
}

/* ---- simple queries -----------------------------------------------------------------------------
 */

/* What names and literals of a text mean depends on it: a shard has read them by its settings when
 * it prepared the text. */
static const char *
path_of(struct client *client)
{
    static const char *const names[] = {"search_path", "TimeZone", "DateStyle", "IntervalStyle"};
    uint32_t generation = sql_session_settings_generation(client->session);
    if (client->path == NULL || generation != client->path_generation) {
        struct buffer path = {0};
        buffer_add_text(&path, sql_session_env(client->session)->user);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            buffer_add_u8(&path, '/');
            buffer_add_text(&path, sql_session_setting(client->session, names[i]));
        }
        buffer_add_u8(&path, 0);
        mem_free(client->path);
        client->path = mem_strdup((const char *)path.data);
        client->path_generation = generation;
        buffer_destroy(&path);
    }
    return client->path;
}

static void
normalize(struct worker *worker, const char *text, size_t size)
{
    struct parser_normalized *normal = &worker->normalized;
    normal->kind = PARSER_NORMAL_NO;
    normal->literal_count = 0;
    if (size <= NORMALIZE_SIZE_MAX) {
        parser_normalize(text, size, worker->normal, sizeof worker->normal, normal);
    }
}

static struct slice
types_of_literals(struct worker *worker)
{
    const struct parser_normalized *normal = &worker->normalized;
    for (uint32_t i = 0; i < normal->literal_count; i++) {
        enum parser_literal_kind kind = normal->literals[i].kind;
        store_be32(worker->literal_types + 4 * (size_t)i, kind == PARSER_LITERAL_INT4   ? TYPE_INT4
                                                          : kind == PARSER_LITERAL_INT8 ? TYPE_INT8
                                                          : kind == PARSER_LITERAL_NUMERIC
                                                              ? TYPE_NUMERIC
                                                              : TYPE_UNKNOWN);
    }
    return slice_of(worker->literal_types, 4 * (size_t)normal->literal_count);
}

/* The text's statement, held; worker->normalized is of this text when it returns. *lifted: it is of
 * the normal form, and its parameters are the literals. */
static enum err
statement_of_query(struct task *task, struct client *client, const char *text, size_t size,
    struct statement **statement, bool *lifted, struct diag *diag)
{
    struct worker *worker = client->worker;
    struct parser_normalized *normal = &worker->normalized;
    struct statement_key whole = {.text = text, .size = size, .path = path_of(client)};
    struct statement_key key = whole;
    normalize(worker, text, size);
    *lifted = normal->kind != PARSER_NORMAL_NO;
    if (*lifted) {
        key.text = normal->text;
        key.size = normal->size;
        key.types = client->router->cluster == NULL ? (struct slice){0} : types_of_literals(worker);
    }
    *statement = statement_find(worker, &key);
    if (*statement == NULL && *lifted && normal->kind == PARSER_NORMAL_LIFTED) {
        *statement = statement_find(worker, &whole);
        *lifted = *statement == NULL;
    }
    if (*statement != NULL) {
        return ERR_OK;
    }
    enum err err = statement_get(task, worker, client->session, &key, statement, diag);
    if (err != ERR_OK && *lifted) { /* the normal form need not have a meaning of its own */
        *lifted = false;
        err = statement_get(task, worker, client->session, &whole, statement, diag);
    }
    if (err == ERR_OK && *lifted) {
        normalize(worker, text, size); /* others of this worker may have run meanwhile */
    }
    return err;
}

/* route_param of literals. arg: struct worker *. */
static bool
literal_value(void *arg, struct eval *eval, const struct route_key *key,
    const struct route_value *value, struct datum *datum)
{
    const struct worker *worker = arg;
    if (value->param >= worker->normalized.literal_count) {
        return false;
    }
    const struct parser_literal *literal = &worker->normalized.literals[value->param];
    if (literal->kind == PARSER_LITERAL_INT4 || literal->kind == PARSER_LITERAL_INT8) {
        *datum = datum_int(literal->integer);
        return key->type == TYPE_INT2 || key->type == TYPE_INT4 || key->type == TYPE_INT8;
    }
    return type_input(eval, key->type, -1, slice_of(literal->text, literal->size), datum) == ERR_OK;
}

/* The session runs what the shard has run, and says nothing. */
static void
mirror(struct task *task, struct client *client)
{
    struct buffer *out = connection_out(client->connection);
    size_t before = out->size;
    struct diag diag;
    char *key = mem_strdup(sql_session_setting(client->session, key_setting));
    if (client->mirrored != NULL && !client->failed &&
        sql_session_query(
            task, client->session, client->mirrored, strlen(client->mirrored), &diag) != ERR_OK) {
        world_log(client->router->world, "a client's block is not its shard's: %s", diag.message);
        client->upstream->broken = true;
    }
    client->key_local = strcmp(key, sql_session_setting(client->session, key_setting)) != 0;
    out->size = before;
    mem_free(key);
    mem_free(client->mirrored);
    client->mirrored = NULL;
}

/* The shard's sequence gets another block. */
static enum err
give_numbers(struct task *task, struct client *client, struct diag *diag)
{
    enum err err =
        numbers_extend(task, client->router, client->exhausted_at, client->exhausted, diag);
    mem_free(client->exhausted);
    client->exhausted = NULL;
    return err;
}

static void
pause_before_retry(struct task *task, struct client *client, uint32_t attempt)
{
    int64_t most = (int64_t)RETRY_PAUSE_US << (attempt < 6 ? attempt : 6);
    task_sleep(task, 1 + (int64_t)(world_random(client->router->world) % (uint64_t)most));
}

/* R4 */
static bool
may_retry(const struct client *client, const struct statement *statement, enum err err)
{
    if (sql_session_status(client->session) != 'I') {
        return false;
    }
    return err == ERR_SHARD_UNREACHABLE ||
           (err == ERR_SHARD_LOST && statement->reads && !client->left);
}

static void
put_route(struct client *client, const struct buffer *route)
{
    if (route != NULL && route->size > 0) {
        struct buffer *out = &client->upstream->out;
        size_t start = wire_begin(out, SHARD_ROUTE_MESSAGE);
        buffer_add(out, route->data, route->size);
        wire_end(out, start);
    }
}

/* One after the other. */
static int
any_node(struct worker *worker)
{
    const struct router *router = worker->router;
    uint32_t node = worker->next_node++ % router->node_count;
    while (router->nodes[node].dropped) { /* the first never is */
        node = (node + 1) % router->node_count;
    }
    return (int)node;
}

/* All statements of the block see one moment. */
static bool
keeps_snapshot(const struct client *client)
{
    return sql_session_status(client->session) == 'T' &&
           strcmp(sql_session_setting(client->session, "transaction_isolation"),
               "read committed") != 0;
}

/* Where to. A node, or ROUTE_SEVERAL: the session runs it over all. */
static enum err
find_node(struct client *client, const struct statement *statement, route_param *param, void *arg,
    struct buffer *message, int *node, struct diag *diag)
{
    struct diag ignored;
    struct eval eval = {
        .arena = &client->arena, .env = sql_session_env(client->session), .diag = &ignored};
    message->size = 0;
    if (client->upstream == NULL || !keeps_snapshot(client)) {
        client->replicated = copies_known(client->router);
    }
    *node = route_resolve(
        client->router, statement->route, client->replicated, &eval, param, arg, message);
    arena_reset(&client->arena);
    if (statement->node == AST_START_SAGA && client->upstream != NULL) {
        /* Begun in a block, wherever its home: that node leaves a note (saga/README.md, S9). */
        uint32_t own = client->upstream->pool->shard_number;
        if (*node != (int)own) {
            *node = (int)own;
            route_put_epoch(statement->route, message);
        }
    }
    if (*node == ROUTE_NOWHERE) {
        return diag_set(diag, ERR_WRONG_BUCKET, "no node is known to have these rows");
    }
    if (*node == ROUTE_ANYWHERE) { /* a block may go on to change them */
        *node = client->upstream != NULL ? (int)client->upstream->pool->shard_number
                : sql_session_status(client->session) == 'T' || !statement->route->tables
                    ? 0
                    : any_node(client->worker);
    }
    if (*node == ROUTE_SEVERAL && statement->route->changes_replicated) {
        return refuse(REFUSED_REPLICATED, diag);
    }
    if (*node == ROUTE_SEVERAL && (!statement->reads || statement->node == AST_COPY)) {
        return refuse(REFUSED_WRITE, diag);
    }
    if (*node == ROUTE_SEVERAL && client->upstream != NULL) {
        return refuse(REFUSED_SPREAD_IN_BLOCK, diag);
    }
    return ERR_OK;
}

static void put_parse(struct client *client, struct statement *statement);

/* What a simple query sends: its own text, or that of EXECUTE with the shard's name for what it
 * executes between two parts of it. */
struct sending {
    struct slice text;
    struct statement *executes; /* NULL: nothing */
    struct slice behind;
    bool explains;
};

/* Between messages of the simple protocol. It has failed, and the client been told: client->failed.
 */
static enum err
prepare_now(
    struct task *task, struct client *client, struct statement *statement, struct diag *diag)
{
    client->failed = false;
    if (upstream_has_prepared(client->upstream, statement->id)) {
        return ERR_OK;
    }
    put_parse(client, statement);
    wire_put_empty(&client->upstream->out, 'S');
    note_pending(client, PENDING_SYNC, NULL, 0);
    return drain(task, client, diag);
}

static bool
reads_settled(struct client *client)
{
    uint32_t generation = sql_session_settings_generation(client->session);
    if (generation != client->settled_generation) {
        client->settled = settled_wanted(client->session);
        client->settled_generation = generation;
    }
    return client->settled && client->router->cluster != NULL;
}

static bool
is_write(const struct statement *statement)
{
    return statement->node == AST_INSERT || statement->node == AST_UPDATE ||
           statement->node == AST_DELETE || statement->node == AST_START_SAGA ||
           statement->node == AST_ALTER_SAGA;
}

/* Which sagas a node is to pass over. In a block with one snapshot its first statement says it for
 * all, whatever that is. Before a connection is taken, or has anything to say. */
static enum err
learn_open_sagas(
    struct task *task, struct client *client, const struct statement *statement, struct diag *diag)
{
    client->open_sagas.size = 0;
    bool rows = statement->kind == ROUTE_NODE || statement->kind == ROUTE_BOUND ||
                statement->kind == ROUTE_EXPLAIN;
    if (!rows || !reads_settled(client)) {
        return ERR_OK;
    }
    const char *isolation = sql_session_setting(client->session, "transaction_isolation");
    bool fixed = strcmp(isolation, "repeatable read") == 0;
    return (fixed ? client->told : is_write(statement))
               ? ERR_OK
               : settled_learn(task, client->worker, &client->open_sagas, diag);
}

static void
tell_open_sagas(struct client *client)
{
    if (client->open_sagas.size > 0) {
        settled_put(client->upstream, &client->open_sagas);
        client->told = true;
    }
}

static enum err
send_query(struct task *task, struct client *client, const struct statement *statement,
    uint32_t shard, const struct buffer *route, const struct sending *what, struct diag *diag)
{
    TRY(learn_open_sagas(task, client, statement, diag));
    TRY(pin(task, client, shard, diag));
    if (what->executes != NULL) {
        TRY(prepare_now(task, client, what->executes, diag));
        if (client->failed) {
            return ERR_OK;
        }
    }
    put_route(client, route);
    tell_open_sagas(client);
    struct buffer *out = &client->upstream->out;
    size_t start = wire_begin(out, 'Q');
    buffer_add(out, what->text.data, what->text.size);
    if (what->executes != NULL) {
        buffer_printf(out, "EXECUTE tusk_%u ", what->executes->id);
        buffer_add(out, what->behind.data, what->behind.size);
    }
    buffer_add_u8(out, 0);
    wire_end(out, start);
    client->sent = true;
    note_pending(client, PENDING_QUERY, NULL, 0);
    return drain(task, client, diag);
}

static enum relay_answer
query_to_shard(struct task *task, struct client *client, const struct statement *statement,
    uint32_t shard, const struct buffer *route, const struct sending *what, struct diag *diag)
{
    size_t before = connection_out(client->connection)->size;
    for (uint32_t attempt = 0;; attempt++) {
        client->failed = false;
        client->left = false;
        enum err err = send_query(task, client, statement, shard, route, what, diag);
        if (err == ERR_OK) {
            mirror(task, client);
            err = spread(task, client, diag);
            settle(task, client);
            return err == ERR_OK ? RELAY_READY : RELAY_FAILED;
        }
        bool again = may_retry(client, statement, err) && attempt < client->router->limits.retries;
        if (client->upstream != NULL && client->sent) {
            client->upstream->broken = true;
        }
        mem_free(client->mirrored);
        client->mirrored = NULL;
        settle(task, client);
        if (!again) {
            return RELAY_FAILED;
        }
        connection_out(client->connection)->size = before;
        pause_before_retry(task, client, attempt);
    }
}

static enum err
check_shape(const struct statement *statement, uint64_t shape, struct diag *diag)
{
    if (shape_of(statement) == shape) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "cached plan must not change result type");
    diag->routine = changed_plan;
    return ERR_FEATURE_NOT_SUPPORTED;
}

/* What names mean may have changed since it was looked at: *statement is what it is now. */
static enum err
look_again(
    struct task *task, struct client *client, struct statement **statement, struct diag *diag)
{
    struct statement *old = *statement;
    if (!statement_is_old(client->worker, old)) {
        return ERR_OK;
    }
    struct statement_key key = {
        .text = old->text, .size = old->text_size, .types = old->types, .path = path_of(client)};
    struct statement *now = statement_find(client->worker, &key);
    if (now == NULL) {
        TRY(statement_get(task, client->worker, client->session, &key, &now, diag));
    }
    *statement = now;
    statement_release(client->worker, old);
    return now->kind == ROUTE_REFUSED ? refuse(now->refusal, diag) : ERR_OK;
}

/* To the shard that has its rows; asked again if it is not there any more, or not yet. lifted: of
 * what->text literals are the parameters. */
static enum relay_answer
query_to_owner(struct task *task, struct client *client, struct statement **held,
    const struct sending *to_send, bool lifted, route_param *param, void *arg, struct diag *diag)
{
    struct sending what = *to_send;
    struct statement *statement = *held;
    struct buffer route = {0};
    enum relay_answer answer = RELAY_FAILED;
    size_t before = connection_out(client->connection)->size;
    bool alone = sql_session_status(client->session) == 'I' && client->upstream == NULL;
    for (uint32_t attempt = 0;; attempt++) {
        int node = 0;
        if (attempt > 0 && lifted) {
            normalize(client->worker, (const char *)what.text.data, what.text.size);
        }
        enum err err = find_node(client, statement, param, arg, &route, &node, diag);
        bool unknown = err == ERR_WRONG_BUCKET;
        if (err == ERR_OK && node == ROUTE_SEVERAL) {
            answer = RELAY_SESSION;
            break;
        }
        if (err == ERR_OK) {
            client->stale = false;
            client->may_ask_again = alone && attempt < ASK_AGAIN_MAX;
            client->explains = what.explains || statement->kind == ROUTE_EXPLAIN;
            answer = query_to_shard(task, client, statement, (uint32_t)node, &route, &what, diag);
            client->explains = false;
            client->may_ask_again = false;
        }
        bool again = (err == ERR_OK && client->stale) || (unknown && attempt < 2 && alone);
        if (!again) {
            break;
        }
        if (client->exhausted != NULL) {
            err = give_numbers(task, client, diag);
            client->stale = false;
            answer = RELAY_FAILED;
            connection_out(client->connection)->size = before;
            if (err != ERR_OK) {
                break;
            }
            continue;
        }
        client->stale = false;
        answer = RELAY_FAILED;
        connection_out(client->connection)->size = before;
        look_around(task, client, attempt, node);
        if (look_again(task, client, held, diag) != ERR_OK) {
            break;
        }
        statement = *held;
        what.executes = what.executes == NULL ? NULL : statement;
        if (statement->kind == ROUTE_LOCAL) {
            answer = RELAY_SESSION;
            break;
        }
    }
    client->cut.replicated = answer == RELAY_SESSION && reads_replicated(statement);
    buffer_destroy(&route);
    return answer;
}

/* R2 */
static void
add_to_prologue(
    struct client *client, const struct statement *statement, const char *text, size_t size)
{
    client->prologue_before = client->prologue.size;
    client->set |= statement->kind == ROUTE_SET;
    buffer_add(&client->prologue, text, size);
    buffer_add_text(&client->prologue, "\n;\n"); /* the text may end in a comment */
}

static enum err
define_alone(struct task *task, struct client *client, const char *text, struct diag *diag)
{
    if (has_key(client)) {
        return refuse(REFUSED_KEY_SPREAD, diag);
    }
    struct arena arena;
    struct ast_list *list = NULL;
    arena_create(&arena, "define");
    enum err err = parser_parse(&arena, text, strlen(text), &list, diag);
    const struct ast_node *body = err == ERR_OK && ast_list_count(list) == 1
                                      ? ast_as_statement(ast_list_at(list, 0))->body
                                      : NULL;
    if (body != NULL && body->kind == AST_ALTER_CLUSTER) {
        err =
            cluster_alter(task, client->router, client->session, ast_as_alter_cluster(body), diag);
        arena_destroy(&arena);
        if (err == ERR_OK) {
            wire_put_command_complete(connection_out(client->connection), "ALTER CLUSTER");
        }
        return err;
    }
    bool moves = body != NULL && cluster_is_move(body);
    if (moves) {
        err = cluster_move(task, client->router, client->session, ast_as_alter_table(body), diag);
    }
    if (err == ERR_OK && body != NULL && body->kind == AST_CREATE_SAGA) {
        err = sagas_prepare(task, client->router, client->session, ast_as_create_saga(body), diag);
    }
    arena_destroy(&arena);
    if (err != ERR_OK && !moves) {
        return err;
    }
    if (moves && err == ERR_OK) {
        wire_put_command_complete(connection_out(client->connection), "ALTER TABLE");
    }
    if (moves) {
        return err;
    }
    return cluster_define(
        task, client->router, client->session, connection_out(client->connection), text, diag);
}

static enum err prepare_here(
    struct task *task, struct client *client, struct named *named, struct diag *diag);

/* All that the client has prepared, for pg_prepared_statements. Of one node's tables the session
 * knows nothing: client_prepared. */
static enum err
tell_session(struct task *task, struct client *client, struct diag *diag)
{
    if (client->router->cluster == NULL || sql_session_status(client->session) == 'E') {
        return ERR_OK;
    }
    LIST_FOREACH (node, &client->statements) {
        TRY(prepare_here(task, client, LIST_ENTRY(node, struct named, node), diag));
    }
    return ERR_OK;
}

/* ---- PREPARE, EXECUTE, DEALLOCATE ---------------------------------------------------------------
 *
 * What PREPARE prepares is kept like what Parse does: a text, prepared at each connection when it
 * is first executed there. With several nodes the session knows it too, and says what its
 * parameters are; the values of EXECUTE are evaluated by the session, once, and sent as literals,
 * so that the node which they lead to gets the values that led there. With one node its arguments
 * go as they stand.
 */

static struct named *
add_named(struct client *client, const char *name, struct statement *statement)
{
    struct named *named = mem_zalloc(sizeof *named);
    named->name = mem_strdup(name);
    named->statement = statement;
    named->shape = shape_of(statement);
    list_push_front(&client->statements, &named->node);
    return named;
}

/* The types that PREPARE gives, of one node's: built-in ones only. */
static enum err
types_by_name(
    struct client *client, const struct ast_prepare *prepare, uint8_t *types, struct diag *diag)
{
    for (uint32_t i = 0; i < ast_list_count(prepare->types); i++) {
        const struct ast_type *name = ast_as_type(ast_list_at(prepare->types, i));
        const struct type *type =
            type_named(sql_session_env(client->session), name->schema, name->name);
        if (type == NULL) {
            (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                "the parameter's type \"%s\" is not known to the router", name->name);
            diag_hint(diag, "Leave the types away.");
            return ERR_FEATURE_NOT_SUPPORTED;
        }
        store_be32(types + 4 * (size_t)i, name->array_dimensions > 0 ? type->array_oid : type->oid);
    }
    return ERR_OK;
}

/* The session has prepared it. */
static enum err
types_of_session(struct task *task, struct client *client, const char *name, struct buffer *types,
    struct diag *diag)
{
    struct sql_description description;
    TRY(sql_session_describe_statement(task, client->session, name, &description, diag));
    for (uint32_t i = 0; i < description.param_count; i++) {
        buffer_add_be32(types, description.param_types[i]);
    }
    return ERR_OK;
}

static enum err
find_inner(struct task *task, struct client *client, const struct ast_prepare *prepare,
    const char *text, struct slice types, struct statement **statement, struct diag *diag)
{
    struct statement_key key = {.text = text + prepare->statement_start,
        .size = (size_t)prepare->statement_size,
        .types = types,
        .path = path_of(client)};
    *statement = statement_find(client->worker, &key);
    if (*statement == NULL) {
        TRY(statement_get(task, client->worker, client->session, &key, statement, diag));
    }
    if ((*statement)->kind != ROUTE_REFUSED) {
        return ERR_OK;
    }
    int refusal = (*statement)->refusal;
    statement_release(client->worker, *statement);
    return refuse(refusal, diag);
}

/* *told: an error, by the shard. */
static enum err
prepare_by_sql(struct task *task, struct client *client, const struct ast_prepare *prepare,
    const char *text, bool *told, struct diag *diag)
{
    struct buffer types = {0};
    struct statement *statement = NULL;
    struct buffer *out = connection_out(client->connection);
    size_t before = out->size;
    bool several = client->router->cluster != NULL;
    *told = false;
    if (find_named(client, prepare->name) != NULL) {
        return diag_set(diag, ERR_DUPLICATE_PREPARED, "prepared statement \"%s\" already exists",
            prepare->name);
    }
    if (several) {
        TRY(sql_session_query(task, client->session, text, strlen(text), diag));
        TRY(types_of_session(task, client, prepare->name, &types, diag));
    } else {
        uint32_t count = ast_list_count(prepare->types);
        TRY(types_by_name(client, prepare, buffer_extend(&types, 4 * (size_t)count), diag));
    }
    enum err err =
        find_inner(task, client, prepare, text, slice_of(types.data, types.size), &statement, diag);
    buffer_destroy(&types);
    if (err != ERR_OK) {
        out->size = before;
        if (several) {
            sql_session_close_statement(task, client->session, prepare->name);
        }
        return err;
    }
    struct named *named = add_named(client, prepare->name, statement);
    named->local = several;
    named->from_sql = true;
    if (statement->kind == ROUTE_NODE && !statement->good) {
        err = pin(task, client, 0, diag);
        err = err == ERR_OK ? prepare_now(task, client, statement, diag) : err;
        *told = err == ERR_OK && client->failed;
        if (err != ERR_OK && client->upstream != NULL) {
            client->upstream->broken |= client->sent;
        }
    }
    if (err != ERR_OK || *told) {
        drop_named(client, named);
    } else if (!several) {
        wire_put_command_complete(out, "PREPARE");
    }
    settle(task, client);
    return err;
}

/* route_param of EXECUTE's values. */
struct execute_values {
    struct datum *values;
    uint32_t count;
};

static bool
execute_value(void *arg, struct eval *eval, const struct route_key *key,
    const struct route_value *value, struct datum *datum)
{
    const struct execute_values *values = arg;
    (void)eval;
    (void)key;
    if (value->param >= values->count) {
        return false;
    }
    *datum = values->values[value->param];
    return true;
}

/* The arguments as literals. */
static enum err
put_values(struct task *task, struct client *client, const struct ast_execute *execute,
    const char *text, struct execute_values *values, struct buffer *to, struct diag *diag)
{
    const oid_t *types = NULL;
    if (statement_has_sequences(text, strlen(text))) {
        return refuse(REFUSED_LOCAL_SEQUENCE, diag);
    }
    TRY(sql_session_execute_values(task, client->session, execute, text, &client->values,
        &values->values, &types, &values->count, diag));
    for (uint32_t i = 0; i < values->count; i++) {
        buffer_add_text(to, i == 0 ? "(" : ", ");
        if (!ship_literal(sql_session_env(client->session), types[i], values->values[i], to)) {
            return diag_set(
                diag, ERR_FEATURE_NOT_SUPPORTED, "a parameter's value cannot be sent to the nodes");
        }
    }
    buffer_add_text(to, values->count > 0 ? ")" : "");
    return ERR_OK;
}

/* What stands behind EXECUTE and the name. */
static struct slice
behind_name(const char *text, const struct ast_execute *execute)
{
    struct scanner scanner;
    struct scan_token token;
    size_t start = (size_t)execute->node.location;
    scanner_create(&scanner, text + start, strlen(text) - start);
    scanner_next(&scanner, &token);
    scanner_next(&scanner, &token);
    return slice_of(text + start + token.end, strlen(text) - start - token.end);
}

static enum relay_answer
execute_by_sql(struct task *task, struct client *client, const struct ast_execute *execute,
    const char *text, bool explains, struct diag *diag)
{
    struct named *named = find_named(client, execute->name);
    if (named == NULL) {
        return RELAY_SESSION; /* which says that there is none */
    }
    if ((statement_is_old(client->worker, named->statement) &&
            look_again(task, client, &named->statement, diag) != ERR_OK) ||
        check_shape(named->statement, named->shape, diag) != ERR_OK) {
        return RELAY_FAILED;
    }
    struct statement *statement = named->statement;
    struct sending what = {.text = slice_of(text, (size_t)execute->node.location),
        .executes = statement,
        .explains = explains};
    enum relay_answer answer = RELAY_SESSION;
    statement->references++;
    if (statement->kind == ROUTE_NODE) {
        what.behind = behind_name(text, execute);
        answer = query_to_shard(task, client, statement, 0, NULL, &what, diag);
    } else if (statement->kind == ROUTE_BOUND) {
        struct execute_values values = {0};
        struct buffer literals = {0};
        answer = RELAY_FAILED;
        if (put_values(task, client, execute, text, &values, &literals, diag) == ERR_OK) {
            what.behind = slice_of(literals.data, literals.size);
            answer = query_to_owner(
                task, client, &statement, &what, false, execute_value, &values, diag);
        }
        buffer_destroy(&literals);
        arena_reset(&client->values);
    } else if (client->upstream != NULL && reads_spread(statement)) {
        (void)refuse(REFUSED_SPREAD_IN_BLOCK, diag);
        answer = RELAY_FAILED;
    }
    client->cut.replicated = answer == RELAY_SESSION && reads_replicated(statement);
    statement_release(client->worker, statement);
    return answer;
}

static enum relay_answer
on_prepared(
    struct task *task, struct client *client, const char *text, size_t size, struct diag *diag)
{
    struct arena arena;
    struct ast_list *list = NULL;
    enum relay_answer answer = RELAY_SESSION;
    if (sql_session_status(client->session) == 'E') {
        return RELAY_SESSION;
    }
    arena_create(&arena, "prepared");
    enum err err = parser_parse(&arena, text, size, &list, diag);
    const struct ast_node *body =
        err == ERR_OK ? ast_as_statement(ast_list_at(list, 0))->body : NULL;
    if (body == NULL) {
        answer = RELAY_FAILED;
    } else if (body->kind == AST_PREPARE) {
        bool told = false;
        err = prepare_by_sql(task, client, ast_as_prepare(body), text, &told, diag);
        answer = err == ERR_OK ? RELAY_READY : RELAY_FAILED;
    } else if (body->kind == AST_EXECUTE) {
        answer = execute_by_sql(task, client, ast_as_execute(body), text, false, diag);
    } else if (body->kind == AST_EXPLAIN) {
        answer = execute_by_sql(task, client, ast_as_execute(ast_as_explain(body)->statement), text,
            client->router->cluster != NULL, diag);
    } else {
        struct named *named = find_named(client, ast_as_deallocate(body)->name);
        bool known = named == NULL || named->local;
        if (named != NULL) {
            drop_named(client, named);
        }
        if (!known) {
            wire_put_command_complete(connection_out(client->connection), "DEALLOCATE");
            answer = RELAY_READY;
        }
    }
    arena_destroy(&arena);
    return answer;
}

/* What the block has done is committed, there and here. */
static enum err
commit_block(struct task *task, struct client *client, struct diag *diag)
{
    enum err err = ERR_OK;
    if (client->upstream != NULL) {
        upstream_put_query(client->upstream, "COMMIT", 6);
        note_pending(client, PENDING_SILENT, NULL, 0);
        err = drain(task, client, diag);
    }
    silently(task, client, err == ERR_OK ? "COMMIT" : "ROLLBACK");
    if (client->upstream != NULL) {
        let_go(task, client);
    }
    client->prologue.size = client->prologue_before = 0;
    return err;
}

/* R12. What follows is in a block like the one that was. */
static enum err
define(struct task *task, struct client *client, const char *text, struct diag *diag)
{
    struct sql_session *session = client->session;
    if (sql_session_status(session) == 'I' && client->upstream == NULL) {
        return define_alone(task, client, text, diag);
    }
    if (sql_session_status(session) != 'T' || sql_session_has_savepoints(session) ||
        strcmp(sql_session_setting(session, "tusk.definitions_commit"), "on") != 0 ||
        strcmp(sql_session_setting(session, "transaction_read_only"), "off") != 0) {
        return refuse(REFUSED_DDL_IN_BLOCK, diag);
    }
    if (has_key(client)) {
        return refuse(REFUSED_KEY_SPREAD, diag);
    }
    char begin[64];
    (void)snprintf(begin, sizeof begin, "BEGIN ISOLATION LEVEL %s",
        sql_session_setting(session, "transaction_isolation"));
    char *own = mem_strdup(text); /* its portal ends with the block */
    enum err err = commit_block(task, client, diag);
    if (err == ERR_OK) {
        err = define_alone(task, client, own, diag);
    }
    mem_free(own);
    silently(task, client, begin);
    buffer_add_text(&client->prologue, begin);
    buffer_add_text(&client->prologue, "\n;\n");
    client->prologue_before = client->prologue.size;
    return err;
}

static enum relay_answer
on_query(struct task *task, struct client *client, struct slice body, struct diag *diag)
{
    if (body.size == 0 || memchr(body.data, 0, body.size) != body.data + body.size - 1) {
        return RELAY_SESSION; /* which says what is wrong with it */
    }
    struct statement *statement = NULL;
    const char *text = (const char *)body.data;
    bool lifted = false;
    if (statement_of_query(task, client, text, body.size - 1, &statement, &lifted, diag) !=
        ERR_OK) {
        if (sql_session_status(client->session) == 'E') {
            return RELAY_SESSION; /* in a failed block nothing else is wrong with it */
        }
        return RELAY_FAILED;
    }
    enum relay_answer answer = RELAY_SESSION;
    enum route_kind kind = statement->kind;
    struct sending what = {.text = slice_of(text, body.size - 1)};
    if (sql_session_status(client->session) == 'E' && client->upstream == NULL &&
        kind != ROUTE_TRANSACTION) {
        kind = ROUTE_LOCAL; /* the session refuses it */
    }
    switch (kind) {
    case ROUTE_LOCAL:
        if (statement->resets && sql_session_status(client->session) != 'I') {
            (void)!refuse(REFUSED_SEVERAL, diag);
            answer = RELAY_FAILED;
            break;
        }
        if (client->upstream != NULL && reads_spread(statement)) {
            (void)!refuse(REFUSED_SPREAD_IN_BLOCK, diag);
            answer = RELAY_FAILED;
        }
        client->cut.replicated = reads_replicated(statement);
        if (statement->forgets) {
            drop_all_named(client);
        }
        if (statement->shows_prepared && tell_session(task, client, diag) != ERR_OK) {
            answer = RELAY_FAILED;
        }
        break;
    case ROUTE_TRANSACTION:
    case ROUTE_SET:
        if (client->upstream == NULL) {
            add_to_prologue(client, statement, text, body.size - 1);
            break;
        }
        client->set |= statement->kind == ROUTE_SET;
        client->mirrored = mem_strdup(text);
        answer = query_to_shard(
            task, client, statement, client->upstream->pool->shard_number, NULL, &what, diag);
        break;
    case ROUTE_CURSOR:
    case ROUTE_NOTIFY:
        if (is_cursor_there(client, statement)) {
            answer = query_to_shard(
                task, client, statement, client->upstream->pool->shard_number, NULL, &what, diag);
        }
        break;
    case ROUTE_NODE:
        answer = query_to_shard(task, client, statement, 0, NULL, &what, diag);
        break;
    case ROUTE_BOUND:
    case ROUTE_EXPLAIN:
        answer = query_to_owner(
            task, client, &statement, &what, lifted, literal_value, client->worker, diag);
        break;
    case ROUTE_PREPARED:
        answer = on_prepared(task, client, text, body.size - 1, diag);
        break;
    case ROUTE_SCHEMA:
        answer = define(task, client, text, diag) == ERR_OK ? RELAY_READY : RELAY_FAILED;
        break;
    case ROUTE_REFUSED:
        (void)!refuse(statement->refusal, diag);
        answer = RELAY_FAILED;
        break;
    }
    statement_release(client->worker, statement);
    return answer;
}

/* ---- the extended protocol
 * ---------------------------------------------------------------------
 */

static void
put_parse(struct client *client, struct statement *statement)
{
    struct buffer *out = &client->upstream->out;
    size_t start = wire_begin(out, 'P');
    buffer_printf(out, "tusk_%u", statement->id);
    buffer_add_u8(out, 0);
    buffer_add(out, statement->text, statement->text_size + 1);
    buffer_add_be16(out, (uint16_t)(statement->types.size / 4));
    buffer_add(out, statement->types.data, statement->types.size);
    wire_end(out, start);
    note_pending(client, PENDING_PARSE, statement, 0);
    client->sent = true;
}

static bool
parse_pending(const struct client *client, const struct statement *statement)
{
    for (uint32_t i = client->pending_at; i < client->pending_count; i++) {
        if (client->pending[i].kind == PENDING_PARSE && client->pending[i].statement == statement) {
            return true;
        }
    }
    return false;
}

static void
prepare_there(struct client *client, struct statement *statement)
{
    if (!upstream_has_prepared(client->upstream, statement->id) &&
        !parse_pending(client, statement)) {
        put_parse(client, statement);
    }
}

/* The session shall know the statement as the client does. */
static enum err
prepare_here(struct task *task, struct client *client, struct named *named, struct diag *diag)
{
    if (named->local) {
        return ERR_OK;
    }
    const struct statement *statement = named->statement;
    uint32_t count = (uint32_t)(statement->types.size / 4);
    oid_t *types = mem_array((size_t)count + 1, sizeof *types);
    for (uint32_t i = 0; i < count; i++) {
        types[i] = load_be32(statement->types.data + 4 * (size_t)i);
    }
    client->touched = true;
    enum err err =
        sql_session_parse(task, client->session, named->name, statement->text, types, count, diag);
    mem_free(types);
    named->local = err == ERR_OK;
    return err;
}

static bool
is_mirrored(const struct statement *statement)
{
    return statement->kind == ROUTE_TRANSACTION || statement->kind == ROUTE_SET;
}

static bool
is_bound(const struct statement *statement)
{
    return statement->kind == ROUTE_BOUND || statement->kind == ROUTE_EXPLAIN;
}

/* Does the shard run it (and perhaps the session too)? */
static bool
runs_there(const struct client *client, const struct statement *statement)
{
    return statement->kind == ROUTE_NODE || is_bound(statement) ||
           is_cursor_there(client, statement) ||
           (is_mirrored(statement) && client->upstream != NULL);
}

static enum err
on_parse(struct task *task, struct client *client, struct slice body, struct diag *diag)
{
    struct wire_reader reader = wire_reader_of(body);
    const char *name = wire_get_text(&reader);
    const char *text = wire_get_text(&reader);
    uint16_t count = wire_get_u16(&reader);
    struct slice types = wire_get_bytes(&reader, 4 * (size_t)count);
    if (!wire_reader_done(&reader)) {
        return diag_set(diag, ERR_PROTOCOL, "invalid message format");
    }
    struct named *named = find_named(client, name);
    if (named != NULL && name[0] != '\0') {
        return diag_set(
            diag, ERR_DUPLICATE_PREPARED, "prepared statement \"%s\" already exists", name);
    }
    if (named != NULL) {
        drop_named(client, named);
    }
    struct statement_key key = {
        .text = text, .size = strlen(text), .types = types, .path = path_of(client)};
    struct statement *statement = statement_find(client->worker, &key);
    if (statement == NULL) {
        TRY(catch_up(task, client, diag));
        if (client->skipping) {
            return ERR_OK;
        }
        TRY(statement_get(task, client->worker, client->session, &key, &statement, diag));
    }
    if ((statement->kind == ROUTE_NODE || is_bound(statement)) &&
        sql_session_status(client->session) == 'E') {
        statement_release(client->worker, statement);
        return diag_set(diag, ERR_IN_FAILED_TRANSACTION,
            "current transaction is aborted, commands ignored until end of transaction block");
    }
    if (statement->kind == ROUTE_REFUSED || statement->kind == ROUTE_PREPARED) {
        int refusal = statement->kind == ROUTE_PREPARED ? REFUSED_PREPARE : statement->refusal;
        statement_release(client->worker, statement);
        return refuse(refusal, diag);
    }
    named = add_named(client, name, statement);
    if (is_bound(statement) || is_cursor_there(client, statement)) {
        /* Its names and types have been looked at here, where they are as at the shards. */
    } else if (statement->kind != ROUTE_NODE) {
        TRY(catch_up(task, client, diag));
        if (client->skipping) {
            return ERR_OK;
        }
        TRY(prepare_here(task, client, named, diag));
    } else if (!statement->good) {
        TRY(pin(task, client, 0, diag));
        prepare_there(client, statement);
        TRY(drain(task, client, diag)); /* an error is told at once */
        if (client->skipping) {
            return ERR_OK;
        }
    }
    say(client, '1');
    return ERR_OK;
}

static void
pass_on(struct client *client, char type, struct slice body, enum pending_kind kind)
{
    size_t start = wire_begin(&client->upstream->out, type);
    buffer_add(&client->upstream->out, body.data, body.size);
    wire_end(&client->upstream->out, start);
    note_pending(client, kind, NULL, 0);
    client->sent = true;
}

/* The schema has changed since the statement was looked at. */
static enum err
renew(struct task *task, struct client *client, struct named *named, struct diag *diag)
{
    TRY(catch_up(task, client, diag));
    TRY(look_again(task, client, &named->statement, diag));
    return check_shape(named->statement, named->shape, diag);
}

/* The session binds it; what it needs of several shards it asks for (remote.c). */
static enum err
bind_here(struct task *task, struct client *client, const char *portal, struct named *named,
    bool *session, struct diag *diag)
{
    struct statement *statement = named->statement;
    *session = true;
    TRY(catch_up(task, client, diag));
    if (client->skipping) {
        return ERR_OK;
    }
    if (client->upstream != NULL && reads_spread(statement)) {
        return refuse(REFUSED_SPREAD_IN_BLOCK, diag);
    }
    if (statement->kind == ROUTE_SCHEMA) {
        *session = false;
        add_bound(client, portal, statement)->text = mem_strdup(statement->text);
        say(client, '2');
        return ERR_OK;
    }
    if (!is_mirrored(statement)) {
        add_bound(client, portal, statement)->local = true;
    } else {
        bool values = statement->node == AST_SELECT && sql_session_status(client->session) != 'I';
        if (values) { /* set_config($1, ..) could not be told to the shard as it stands */
            return refuse(REFUSED_SET_CONFIG, diag);
        }
        struct bound *here = add_bound(client, portal, statement);
        here->text = mem_strdup(statement->text);
        here->here = true;
    }
    return prepare_here(task, client, named, diag);
}

/* route_param of a Bind message. */
struct bind_values {
    struct slice body; /* behind the names */
};

static bool
bind_value(void *arg, struct eval *eval, const struct route_key *key,
    const struct route_value *value, struct datum *datum)
{
    const struct bind_values *values = arg;
    struct wire_reader reader = wire_reader_of(values->body);
    uint16_t code_count = wire_get_u16(&reader);
    struct slice codes = wire_get_bytes(&reader, 2 * (size_t)code_count);
    uint16_t count = wire_get_u16(&reader);
    struct slice bytes = {0};
    uint32_t size = UINT32_MAX;
    (void)key;
    if (value->param >= count || reader.failed) {
        return false;
    }
    for (uint32_t i = 0; i <= value->param; i++) {
        size = wire_get_u32(&reader);
        bytes = size == UINT32_MAX ? (struct slice){0} : wire_get_bytes(&reader, size);
    }
    if (reader.failed) {
        return false;
    }
    if (size == UINT32_MAX) {
        *datum = datum_null();
        return true;
    }
    uint32_t code = code_count <= 1 ? 0 : value->param;
    bool binary = code < code_count && load_be16(codes.data + 2 * (size_t)code) == 1;
    return (binary ? type_receive(eval, value->type, -1, bytes, datum)
                   : type_input(eval, value->type, -1, bytes, datum)) == ERR_OK;
}

static void
put_bind(struct client *client, const char *portal, const struct statement *statement,
    struct slice values)
{
    struct buffer *out = &client->upstream->out;
    size_t start = wire_begin(out, 'B');
    wire_put_text(out, portal);
    buffer_printf(out, "tusk_%u", statement->id);
    buffer_add_u8(out, 0);
    buffer_add(out, values.data, values.size);
    wire_end(out, start);
}

static enum err
on_bind(
    struct task *task, struct client *client, struct slice body, bool *session, struct diag *diag)
{
    struct wire_reader reader = wire_reader_of(body);
    const char *portal = wire_get_text(&reader);
    const char *name = wire_get_text(&reader);
    struct named *named = reader.failed ? NULL : find_named(client, name);
    if (named == NULL && client->upstream != NULL && !reader.failed) {
        pass_on(
            client, 'B', body, PENDING_ONE); /* it says that there is none, and its block fails */
        return ERR_OK;
    }
    if (named == NULL) {
        *session = true; /* which says that there is none */
        return catch_up(task, client, diag);
    }
    if (statement_is_old(client->worker, named->statement)) {
        TRY(renew(task, client, named, diag));
    } else {
        TRY(check_shape(named->statement, named->shape, diag));
    }
    struct statement *statement = named->statement;
    if (!runs_there(client, statement)) {
        return bind_here(task, client, portal, named, session, diag);
    }
    if (is_mirrored(statement)) {
        if (statement->node == AST_SELECT) {
            return refuse(REFUSED_SET_CONFIG, diag);
        }
        add_bound(client, portal, statement)->text = mem_strdup(statement->text);
        say(client, '2');
        return ERR_OK;
    }
    struct buffer route = {0};
    int node = statement->kind == ROUTE_CURSOR || statement->kind == ROUTE_NOTIFY
                   ? (int)client->upstream->pool->shard_number
                   : 0;
    if (is_bound(statement)) {
        struct bind_values values = {.body = slice_of(reader.at, (size_t)(reader.end - reader.at))};
        enum err err = find_node(client, statement, bind_value, &values, &route, &node, diag);
        if (err != ERR_OK || node == ROUTE_SEVERAL) {
            buffer_destroy(&route);
            TRY(err);
            return bind_here(task, client, portal, named, session, diag);
        }
    }
    enum err pinned = pin(task, client, (uint32_t)node, diag);
    if (pinned != ERR_OK) {
        buffer_destroy(&route);
        return pinned;
    }
    prepare_there(client, statement);
    put_bind(client, portal, statement, slice_of(reader.at, (size_t)(reader.end - reader.at)));
    note_pending(client, PENDING_ONE, NULL, 0);
    client->pending[client->pending_count - 1].of = statement->id;
    client->sent = true;
    struct bound *bound = add_bound(client, portal, statement);
    bound->route = route;
    if (route.size > 0) {
        buffer_add(&bound->values, reader.at, (size_t)(reader.end - reader.at));
    }
    return ERR_OK;
}

/* The portal, or its absence, is the shard's to deal with. */
static bool
is_there(const struct client *client, const struct bound *bound)
{
    return client->upstream != NULL && (bound == NULL || (bound->text == NULL && !bound->local));
}

static enum err
on_describe(
    struct task *task, struct client *client, struct slice body, bool *session, struct diag *diag)
{
    struct wire_reader reader = wire_reader_of(body);
    char kind = (char)wire_get_u8(&reader);
    const char *name = wire_get_text(&reader);
    struct bound *bound = kind == 'P' ? find_bound(client, name) : NULL;
    struct named *named = kind == 'S' ? find_named(client, name) : NULL;
    if (bound != NULL && bound->text != NULL && !bound->here) {
        say(client, 'n');
        return ERR_OK;
    }
    if (kind == 'P' && is_there(client, bound)) {
        pass_on(client, 'D', body, PENDING_DESCRIBE);
        return ERR_OK;
    }
    if (named != NULL && named->statement->kind == ROUTE_SCHEMA) {
        TRY(catch_up(task, client, diag));
        if (!client->skipping) {
            struct buffer *out = connection_out(client->connection);
            size_t start = wire_begin(out, 't');
            buffer_add_be16(out, 0);
            wire_end(out, start);
            wire_put_empty(out, 'n');
        }
        return ERR_OK;
    }
    if (named != NULL && named->statement->kind == ROUTE_NODE) {
        TRY(pin(task, client, 0, diag));
        prepare_there(client, named->statement);
        struct buffer *out = &client->upstream->out;
        size_t start = wire_begin(out, 'D');
        buffer_add_u8(out, 'S');
        buffer_printf(out, "tusk_%u", named->statement->id);
        buffer_add_u8(out, 0);
        wire_end(out, start);
        note_pending(client, PENDING_DESCRIBE, NULL, 0);
        client->sent = true;
        return ERR_OK;
    }
    *session = true;
    TRY(catch_up(task, client, diag));
    return named == NULL || client->skipping ? ERR_OK : prepare_here(task, client, named, diag);
}

static enum err
on_execute(
    struct task *task, struct client *client, struct slice body, bool *session, struct diag *diag)
{
    struct wire_reader reader = wire_reader_of(body);
    struct bound *bound = find_bound(client, wire_get_text(&reader));
    if (is_there(client, bound)) {
        if (bound != NULL) {
            TRY(learn_open_sagas(task, client, bound->statement, diag));
        }
        put_route(client, bound == NULL ? NULL : &bound->route);
        if (bound != NULL) {
            tell_open_sagas(client);
        }
        client->executes++;
        client->executed = bound;
        if (bound != NULL) {
            bound->rows_max = wire_get_u32(&reader);
        }
        pass_on(client, 'E', body, PENDING_EXECUTE);
        struct pending *pending = &client->pending[client->pending_count - 1];
        pending->of = bound == NULL ? 0 : bound->statement->id;
        pending->plan = bound != NULL && bound->statement->kind == ROUTE_EXPLAIN;
        return ERR_OK;
    }
    if (bound != NULL && bound->statement->kind == ROUTE_SCHEMA) {
        TRY(catch_up(task, client, diag));
        return client->skipping ? ERR_OK : define(task, client, bound->text, diag);
    }
    if (bound == NULL || bound->text == NULL) {
        client->cut.replicated = bound != NULL && reads_replicated(bound->statement);
        *session = true;
        client->touched = true;
        return catch_up(task, client, diag);
    }
    enum route_kind statement_kind = bound->statement->kind;
    if (bound->here) {
        add_to_prologue(client, bound->statement, bound->text, strlen(bound->text));
        *session = true;
        client->touched = true;
        return catch_up(task, client, diag);
    }
    char *text = mem_strdup(bound->text);
    enum err before = drain(task, client, diag);
    if (before != ERR_OK) {
        mem_free(text);
        return before;
    }
    enum err err = ERR_OK;
    if (!client->skipping) {
        client->failed = false;
        upstream_put_query(client->upstream, text, strlen(text));
        note_pending(client, PENDING_SPECIAL, NULL, 0);
        client->sent = true;
        client->set |= statement_kind == ROUTE_SET;
        client->mirrored = text;
        text = NULL;
        err = drain(task, client, diag);
        client->touched = true;
        client->failed |= err != ERR_OK;
        mirror(task, client);
        err = err == ERR_OK ? spread(task, client, diag) : err;
    }
    mem_free(text);
    return err;
}

static enum err
on_close(
    struct task *task, struct client *client, struct slice body, bool *session, struct diag *diag)
{
    struct wire_reader reader = wire_reader_of(body);
    char kind = (char)wire_get_u8(&reader);
    const char *name = wire_get_text(&reader);
    struct bound *bound = kind == 'P' ? find_bound(client, name) : NULL;
    struct named *named = kind == 'S' ? find_named(client, name) : NULL;
    if (kind == 'P' && is_there(client, bound)) {
        pass_on(client, 'C', body, PENDING_ONE);
        if (bound != NULL) {
            drop_bound(client, bound);
        }
        return ERR_OK;
    }
    if (bound != NULL) {
        drop_bound(client, bound);
    }
    if (named != NULL) {
        bool local = named->local;
        drop_named(client, named);
        if (!local) {
            say(client, '3');
            return ERR_OK;
        }
    }
    *session = true;
    return catch_up(task, client, diag);
}

/* The shard has refused the bucket: the statement is bound and executed where it is now. The
 * client has heard of all but the answer. */
static enum err
execute_again(struct task *task, struct client *client, struct diag *diag)
{
    struct bound bound = *client->executed; /* its own memory stays with the portal, which goes */
    struct statement *statement = bound.statement;
    struct buffer values = bound.values;
    char *portal = mem_strdup(bound.name);
    client->executed->values = (struct buffer){0};
    statement->references++;
    enum err err = ERR_OK;
    for (uint32_t attempt = 0; err == ERR_OK && client->stale; attempt++) {
        struct buffer route = {0};
        struct bind_values all = {.body = slice_of(values.data, values.size)};
        int node = client->upstream == NULL ? -1 : (int)client->upstream->pool->shard_number;
        client->stale = false;
        settle(task, client);
        if (client->exhausted != NULL) {
            err = give_numbers(task, client, diag);
        } else {
            look_around(task, client, attempt, node);
        }
        uint64_t shape = shape_of(statement);
        err = err == ERR_OK ? look_again(task, client, &statement, diag) : err;
        if (err == ERR_OK) {
            err = check_shape(statement, shape, diag);
        }
        if (err == ERR_OK && !is_bound(statement)) {
            err = refuse(REFUSED_SPREAD_IN_BLOCK, diag);
        }
        if (err == ERR_OK) {
            err = find_node(client, statement, bind_value, &all, &route, &node, diag);
        }
        if (err == ERR_OK && node >= 0) {
            err = learn_open_sagas(task, client, statement, diag);
        }
        if (err == ERR_OK) {
            err = node < 0 ? refuse(REFUSED_SPREAD_IN_BLOCK, diag)
                           : pin(task, client, (uint32_t)node, diag);
        }
        if (err == ERR_OK) {
            prepare_there(client, statement);
            put_bind(client, portal, statement, all.body);
            note_pending(client, PENDING_PARSE, NULL, 0);
            put_route(client, &route);
            tell_open_sagas(client);
            struct buffer *out = &client->upstream->out;
            size_t start = wire_begin(out, 'E');
            wire_put_text(out, portal);
            buffer_add_be32(out, bound.rows_max);
            wire_end(out, start);
            note_pending(client, PENDING_EXECUTE, NULL, 0);
            wire_put_empty(out, 'S');
            note_pending(client, PENDING_SYNC, NULL, 0);
            client->sent = true;
            struct bound *again = add_bound(client, portal, statement);
            if (attempt < ASK_AGAIN_MAX) {
                again->values = values;
                client->executed = again;
            } else {
                client->executed = NULL; /* the next refusal is the client's */
            }
            err = drain(task, client, diag);
            again = find_bound(client, portal);
            if (again != NULL) {
                again->values = (struct buffer){0};
            }
        }
        buffer_destroy(&route);
    }
    buffer_destroy(&values);
    mem_free(portal);
    statement_release(client->worker, statement);
    return err;
}

static enum err
on_sync(struct task *task, struct client *client, bool *session, struct diag *diag)
{
    enum err err = ERR_OK;
    client->skipping = false;
    client->stale = false;
    if (client->upstream != NULL && client->sent) {
        wire_put_empty(&client->upstream->out, 'S');
        note_pending(client, PENDING_SYNC, NULL, 0);
        err = drain(task, client, diag);
        if (err == ERR_OK && client->stale) {
            err = execute_again(task, client, diag);
        }
        if (err == ERR_OK) {
            err = spread(task, client, diag);
            if (err != ERR_OK) {
                settle(task, client); /* nothing is wrong with the connection */
            }
        }
        if (err != ERR_OK && client->upstream != NULL) {
            client->upstream->broken = true;
        }
    }
    client->executes = 0;
    client->executed = NULL;
    client->left = false;
    if (client->sync_ignored) {
        client->sent = true;
        *session = false;
        return err;
    }
    settle(task, client);
    client->failed = false;
    while (client->upstream == NULL && !list_empty(&client->portals)) {
        drop_bound(client, LIST_ENTRY(client->portals.next, struct bound, node));
    }
    *session = client->touched;
    client->touched = false;
    return err;
}

/* In on_parse and the like a failure of the router's own. What was sent is read up to a Sync of
 * the router's, so that the connection is at a known place again. */
static void
recover(struct task *task, struct client *client)
{
    struct diag ignored;
    struct upstream *upstream = client->upstream;
    if (upstream == NULL) {
        client->pending_count = client->pending_at = 0;
        return;
    }
    if (client->sent && !upstream->broken) {
        struct buffer *out = connection_out(client->connection);
        wire_put_empty(&upstream->out, 'S');
        note_pending(client, PENDING_SYNC, NULL, 0);
        size_t before = out->size;
        if (drain(task, client, &ignored) != ERR_OK) {
            upstream->broken = true;
        }
        (void)before; /* answers to what came before the failure are the client's */
    } else if (client->pending_at != client->pending_count && !upstream->broken) {
        if (drain(task, client, &ignored) != ERR_OK) {
            upstream->broken = true;
        }
    }
    client->pending_count = client->pending_at = 0;
    settle(task, client);
}

static enum relay_answer
on_extended(
    struct task *task, struct client *client, char type, struct slice body, struct diag *diag)
{
    bool session = false;
    enum err err = ERR_OK;
    if (client->skipping && type != 'S') {
        return RELAY_DONE;
    }
    switch (type) {
    case 'P':
        err = on_parse(task, client, body, diag);
        break;
    case 'B':
        err = on_bind(task, client, body, &session, diag);
        break;
    case 'D':
        err = on_describe(task, client, body, &session, diag);
        break;
    case 'E':
        err = on_execute(task, client, body, &session, diag);
        break;
    case 'C':
        err = on_close(task, client, body, &session, diag);
        break;
    case 'S':
        err = on_sync(task, client, &session, diag);
        break;
    default: /* H */
        if (client->upstream != NULL && !nothing_pending(client)) {
            err = drain(task, client, diag);
        }
        session = true;
        break;
    }
    if (err != ERR_OK) {
        client->touched = false;
        recover(task, client);
        return RELAY_FAILED;
    }
    if (type != 'S' && client->upstream != NULL && client->upstream->out.size >= FLUSH_SIZE) {
        /* Not to hold more of a long pipeline than need be. */
        if (drain(task, client, diag) != ERR_OK) {
            recover(task, client);
            return RELAY_FAILED;
        }
    }
    if (client->skipping) { /* told at once; and what was the session's to say comes no more */
        if (connection_flush(task, client->connection, diag) != ERR_OK) {
            recover(task, client);
            return RELAY_FAILED;
        }
        return RELAY_DONE;
    }
    if (type == 'S' && client->sync_ignored) {
        client->sync_ignored = false;
        return RELAY_DONE;
    }
    if (type == 'S' && !session) {
        return RELAY_READY;
    }
    client->touched = client->touched || (session && type != 'S' && type != 'H');
    return session ? RELAY_SESSION : RELAY_DONE;
}

/* ---- the relay
 * ---------------------------------------------------------------------------------
 */

static const char fail_text[] = "SELECT 'a statement of this block has failed in the router'::int4";

static enum relay_answer
client_message(struct task *task, void *arg, char type, struct slice body, struct diag *diag)
{
    struct client *client = arg;
    char status = sql_session_status(client->session);
    if (client->exhausted != NULL &&
        client->upstream == NULL) { /* nothing of ours is locked there */
        struct diag ignored;
        (void)!give_numbers(task, client, &ignored);
    }
    if (client->upstream != NULL && status == 'E' && client->upstream->status == 'T' &&
        nothing_pending(client)) {
        /* R2: what failed here, or was refused, fails the block there. */
        upstream_put_query(client->upstream, fail_text, sizeof fail_text - 1);
        note_pending(client, PENDING_FAIL, NULL, 0);
        if (drain(task, client, diag) != ERR_OK) {
            settle(task, client);
            return RELAY_FAILED;
        }
    }
    if (client->upstream == NULL && status == 'I') {
        client->prologue.size = 0;
        client->set = false;
        (void)current_settings(client);
    } else if (status == 'E' && client->prologue_before < client->prologue.size) {
        client->prologue.size = client->prologue_before; /* the last piece has failed */
    }
    client->prologue_before = client->prologue.size;
    if (client->router->cluster != NULL && (type == 'Q' || type == 'P') &&
        strcmp(sql_session_env(client->session)->database, "postgres") != 0) {
        (void)!refuse(REFUSED_DATABASE, diag);
        return RELAY_FAILED;
    }
    switch (type) {
    case 'Q':
        return client->skipping ? RELAY_DONE : on_query(task, client, body, diag);
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
    case 'S':
    case 'H':
        return on_extended(task, client, type, body, diag);
    default:
        return RELAY_SESSION;
    }
}

static void
warn(struct client *client, const char *words)
{
    struct diag notice;
    (void)diag_set(&notice, ERR_WARNING, "%s", words);
    wire_put_diag(connection_out(client->connection), 'N', "WARNING", &notice);
}

/* What the session's commit has done to its channels, and what it has notified, to the nodes. */
static void
pass_on_notices(struct task *task, struct client *client)
{
    struct sql_session *session = client->session;
    char words[DIAG_TEXT_MAX + 2 * ROUTER_NAME_MAX + 64];
    struct diag diag;
    char *channel, *payload;
    while (sql_session_take_notice(session, &channel, &payload)) {
        if (listeners_tell(task, client->router, session, channel, payload, &diag) != ERR_OK) {
            (void)snprintf(words, sizeof words, "a notification on channel \"%s\" was not sent: %s",
                channel, diag.message);
            warn(client, words);
        }
        mem_free(channel);
    }
    bool any = false;
    uint32_t now = sql_session_channels(session, &any);
    if (now != client->channels) {
        const char *away = NULL;
        client->channels = now;
        enum err err = listeners_hear(task, client->router, session, any, &away, &diag);
        if (err != ERR_OK || away != NULL) {
            (void)snprintf(words, sizeof words, "notifications of node \"%s\" cannot be heard now",
                away == NULL ? client->router->nodes[0].name : away);
            warn(client, words);
        }
    }
}

static char
client_status(struct task *task, void *arg, char status)
{
    struct client *client = arg;
    pass_on_notices(task, client);
    if (client->cut.moment != NULL) {
        remote_end(task, &client->cut);
    }
    if (client->upstream != NULL && client->upstream->broken && nothing_pending(client)) {
        settle(task, client); /* the session has lost it */
        status = sql_session_status(client->session);
    }
    return client->upstream == NULL || status == 'E' ? status : client->upstream->status;
}

enum err
client_prepared(struct worker *worker, struct eval *eval,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    LIST_FOREACH (node, &worker->clients) {
        const struct client *client = LIST_ENTRY(node, struct client, node);
        if (client->session != eval->env->session) {
            continue;
        }
        LIST_FOREACH (at, &client->statements) {
            const struct named *named = LIST_ENTRY(at, struct named, node);
            const struct statement *statement = named->statement;
            uint32_t count = (uint32_t)(statement->types.size / 4);
            struct datum *types = arena_array(eval->arena, (size_t)count + 1, sizeof *types);
            for (uint32_t i = 0; i < count; i++) {
                types[i] = datum_int(load_be32(statement->types.data + 4 * (size_t)i));
            }
            const struct datum values[] = {datum_bytes(named->name, strlen(named->name)),
                datum_bytes(statement->text, statement->text_size), datum_null(),
                array_make(eval->arena, TYPE_REGTYPE, false, types, count),
                datum_bool(named->from_sql), datum_int(0), datum_int(0)};
            TRY(emit(arg, values));
        }
    }
    return ERR_OK;
}

static void *
client_begin(struct task *task, void *arg, struct connection *connection)
{
    struct router *router = arg;
    struct client *client = mem_zalloc(sizeof *client);
    client->router = router;
    client->worker = &router->workers[task_worker(task)];
    client->connection = connection;
    client->session = connection_session(connection);
    list_init(&client->statements);
    list_init(&client->portals);
    list_push_front(&client->worker->clients, &client->node);
    client->settled_generation = UINT32_MAX;
    arena_create(&client->arena, "client");
    arena_create(&client->values, "values");
    sql_session_set_relayed(client->session);
    if (router->cluster != NULL) {
        remote_start(&client->cut, client->worker, client->session);
        client->cut.pin = pin_for_session;
        client->cut.pin_arg = client;
    }
    return client;
}

static void
client_end(struct task *task, void *arg)
{
    struct client *client = arg;
    list_remove(&client->node);
    if (client->upstream != NULL) {
        client->upstream->broken |= client->sent;
        let_go(task, client);
    }
    pool_forget(&client->last);
    while (!list_empty(&client->portals)) {
        drop_bound(client, LIST_ENTRY(client->portals.next, struct bound, node));
    }
    drop_all_named(client);
    buffer_destroy(&client->prologue);
    buffer_destroy(&client->open_sagas);
    buffer_destroy(&client->held);
    arena_destroy(&client->arena);
    arena_destroy(&client->values);
    if (client->cut.worker != NULL) {
        remote_end(task, &client->cut);
    }
    mem_free(client->path);
    mem_free(client->exhausted);
    mem_free(client->settings);
    mem_free(client->pending);
    mem_free(client);
}

void
client_relay(struct router *router, struct connection_relay *relay)
{
    *relay = (struct connection_relay){
        .arg = router,
        .begin = client_begin,
        .message = client_message,
        .status = client_status,
        .end = client_end,
    };
}
