/*
 * router/router.h - what the router is made of.
 *
 * The router is a server (server/) with an engine of its own that knows every table and holds no
 * rows. A client's start-up, its settings, its transaction block and whatever needs no row are that
 * engine's session's; statements on rows go to the shards. router/README.md has the whole.
 *
 * Everything below belongs to one worker and is touched by its tasks only, so there is not a latch
 * here; struct router itself is constant while clients are served, but for what says otherwise.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "base/bytes.h"
#include "base/list.h"
#include "login/login.h"
#include "parser/parser.h"
#include "router/route.h"
#include "server/server.h"
#include "wire/wire.h"

enum {
    ROUTER_NODES_MAX = 64,
    ROUTER_NAME_MAX = 64,
    ROUTER_FAILURE_MAX = 2 * DIAG_TEXT_MAX + 2,
};

struct router_limits {
    uint32_t pool_size; /* a worker's share */
    uint32_t queue_size;
    int64_t queue_timeout_us, connect_timeout_us;
    uint32_t prepared_max;
    uint32_t breaker_failures;
    int64_t breaker_pause_us;
    int64_t sync_pause_us;
    int64_t balance_pause_us;
    uint32_t retries;
    uint64_t pull_size;
    int64_t replicated_timeout_us;
};

struct router_node {
    char name[ROUTER_NAME_MAX];
    char host[ROUTER_NAME_MAX];
    uint16_t port;
    _Atomic bool dropped; /* its number is nobody else's ever */
};

struct worker;

struct router {
    struct world *world;
    struct sql_engine *engine;
    const struct sql_config *config;
    const char *directory;
    struct router_limits limits;
    enum tls_mode tls_mode; /* of connections to the shards */
    struct world_tls *tls;
    char *password_file; /* on the heap; "": there is none */
    /* Those below node_count never change, but for `dropped`; the count only grows (nodes.c). */
    struct router_node nodes[ROUTER_NODES_MAX];
    _Atomic uint32_t node_count;
    /* Several: what follows counts. One: the router is a pooler, and knows no table. */
    struct cluster *cluster;
    struct sagas *sagas;
    struct listeners *listeners;
    struct control *control;
    struct copies *copies;  /* with the cluster */
    struct worker *workers; /* by task_worker */
    struct connection_relay relay;
};

/* ---- upstream.c: one connection to a shard ----------------------------------------------------
 */

struct pool;

struct upstream {
    struct list_node node; /* pool->idle */
    struct pool *pool;
    struct world_socket *socket;
    struct buffer in; /* in.data[at..] is not yet dealt with */
    size_t at;
    struct buffer out;
    uint32_t pid, secret;
    char status; /* of its last ReadyForQuery */
    bool encrypted;
    bool broken;
    bool lost;     /* broken, and by the shard or the network */
    bool canceled; /* a cancel of who waits was sent on; whoever looks at this resets it */
    /* Where who used it last remembers it: among idle connections his own has his settings and his
     * statements. Both know of each other or neither. */
    struct upstream **last_of;
    char *settings;     /* what sql_session_settings_put said when it was last used */
    uint32_t *prepared; /* open addressing; 0: empty */
    uint32_t prepared_count, prepared_capacity;
    int64_t idle_since;
    int64_t deadline_us; /* of each answer; 0: there is none */
    /* The version of replicated tables with which a change of theirs was committed here, until
     * somebody has taken note and set it to 0. */
    uint64_t committed;
    bool idle; /* in its pool */
};

struct upstream_message {
    char type;
    struct slice body;  /* until the next call */
    struct slice whole; /* with its head */
};

/* Connects and logs in; the connection is idle then. ERR_SHARD_UNREACHABLE, or, if the shard was
 * reached and does not let this user in, ERR_SHARD_LOGIN. */
enum err upstream_open(struct task *task, struct pool *pool, int64_t timeout_us,
    struct upstream **upstream, struct diag *diag);
void upstream_close(struct task *task, struct upstream *upstream);
enum err upstream_flush(struct task *task, struct upstream *upstream, struct diag *diag);
/* TASK_TERMINATE ends it, and so does what of TASK_CANCEL and TASK_TIMEOUT is in `obey`, which
 * leaves the connection as it was. Else it obeys TASK_CANCEL by asking the shard to cancel, and
 * goes on. */
enum err upstream_next(struct task *task, struct upstream *upstream, int obey,
    struct upstream_message *message, struct diag *diag);
/* Until there is a message, or nothing more will come: false at the deadline, or if TASK_NOTIFY in
 * `obey` has come. */
bool upstream_wait(struct task *task, struct upstream *upstream, int64_t deadline_us, int obey);
/* Over a connection of its own. When it returns it cannot meet a later statement. */
void upstream_cancel(struct task *task, struct upstream *upstream);
/* Nothing has come and nobody has hung up since it became idle. */
bool upstream_sound(struct task *task, struct upstream *upstream);
bool upstream_has_prepared(const struct upstream *upstream, uint32_t id);
void upstream_note_prepared(struct upstream *upstream, uint32_t id);
/* Text of a simple query that brings its settings from what they are to `wanted`; NULL: none is
 * needed. In `to`. */
bool upstream_settings(const struct upstream *upstream, const char *wanted, struct buffer *to);
struct shard_route;
void upstream_put_route(struct upstream *upstream, const struct shard_route *route);
void upstream_put_query(struct upstream *upstream, const void *text, size_t size);
/* An ErrorResponse as a diag of ours; the code is ERR_CONNECTION_FAILURE where we do not know it.
 */
enum err upstream_error(struct slice body, const char *node, struct diag *diag);

/* ---- pool.c: connections of one user and database to one shard ---------------------------------
 */

enum breaker_state {
    BREAKER_CLOSED,
    BREAKER_OPEN,
    BREAKER_HALF_OPEN,
};

/* Of a shard, on one worker. */
struct breaker {
    enum breaker_state state;
    uint32_t failures; /* one after another */
    int64_t retry_us;  /* OPEN: when to try again */
    uint64_t opened, refused;
    /* A login that is refused opens no breaker: others may be let in. */
    uint64_t logins_refused;
    char last_failure[ROUTER_FAILURE_MAX]; /* "": there was none */
};

struct pool {
    struct list_node node; /* worker->pools */
    struct worker *worker;
    const struct router_node *shard;
    uint32_t shard_number;
    char *user, *database;
    enum pool_use {
        POOL_CLIENTS,
        POOL_SAGAS,
        POOL_LISTENERS,
    } use;
    /* The shard has not let this user in: until then it is not asked again. */
    int64_t login_retry_us;
    char *login_failure;   /* NULL: it has */
    struct list_node idle; /* the last used first */
    uint32_t count, idle_count;
    struct list_node waiters;
    uint32_t waiter_count;
    uint64_t served, waited, refused;
    int64_t waited_us;
};

/* last: the one that the caller had before, if he remembers (or NULL). */
enum err pool_acquire(struct task *task, struct pool *pool, struct upstream **last,
    struct upstream **upstream, struct diag *diag);
/* *last is to be forgotten. */
void pool_forget(struct upstream **last);
/* One that is broken, or not between transactions, is closed. */
void pool_release(struct task *task, struct upstream *upstream);
struct pool *pool_of(struct worker *worker, uint32_t shard, const char *user, const char *database);
/* No client's ever. */
struct pool *pool_of_sagas(
    struct worker *worker, uint32_t shard, const char *user, const char *database);
struct pool *pool_of_listeners(
    struct worker *worker, uint32_t shard, const char *user, const char *database);
/* What became of an attempt to reach a shard. */
void breaker_note(struct worker *worker, uint32_t shard, bool fine);
void worker_close(struct task *task, struct worker *worker);

/* ---- statement.c: what a text is, and where it goes -------------------------------------------
 */

enum route_kind {
    ROUTE_LOCAL,       /* the router's own session answers */
    ROUTE_NODE,        /* a shard */
    ROUTE_BOUND,       /* where `route` says, when parameters are known */
    ROUTE_SCHEMA,      /* every node, and here: cluster.c */
    ROUTE_EXPLAIN,     /* as ROUTE_BOUND, with a line that says where */
    ROUTE_TRANSACTION, /* BEGIN .. ROLLBACK TO: the session, and the shard if there is one */
    ROUTE_SET,         /* likewise SET, RESET, SET TRANSACTION */
    ROUTE_CURSOR,      /* FETCH, MOVE, CLOSE: whose cursor it is */
    ROUTE_NOTIFY,      /* the block's node, or else the session */
    ROUTE_PREPARED,    /* PREPARE, EXECUTE, DEALLOCATE: what the client has prepared */
    ROUTE_REFUSED,
};

struct statement {
    struct statement *chain; /* worker->statements */
    struct list_node age;    /* worker->ages, while nobody holds it */
    uint64_t hash;
    uint32_t references;
    uint32_t id; /* tusk_<id> at the shards */
    enum route_kind kind;
    enum ast_kind node; /* of its one statement; AST_KIND_COUNT: none or several */
    int refusal;
    bool good;           /* some shard has prepared it */
    bool retired;        /* it gives other rows now: whoever prepares the text anew gets another */
    bool resets;         /* a string that brings a session back to its beginning */
    bool loads;          /* COPY FROM that the session takes apart */
    bool forgets;        /* DISCARD ALL, DEALLOCATE ALL */
    bool shows_prepared; /* pg_prepared_statements */
    bool reads;          /* changes nothing: may be sent again */
    uint32_t schema_version; /* of several nodes: what was known when it was looked at */
    struct worker *worker;
    struct arena *arena; /* while it is looked at */
    struct route *route; /* BOUND, EXPLAIN */
    char *cursor;        /* CURSOR */
    char *path;          /* by which its names and literals were read */
    char *text;
    uint32_t text_size;
    struct slice types; /* of Parse: be32 each */
};

/* What a text is looked up by. */
struct statement_key {
    const char *text;
    size_t size;
    struct slice types; /* of Parse; of a text with lifted literals theirs */
    const char *path;   /* client.c, path_of */
};
/* NULL: not known, or not as the schema is now. */
struct statement *statement_find(struct worker *worker, const struct statement_key *key);
/* Ownership of a reference goes to the caller; with an error there is none. */
enum err statement_get(struct task *task, struct worker *worker, struct sql_session *session,
    const struct statement_key *key, struct statement **statement, struct diag *diag);
bool statement_is_old(const struct worker *worker, const struct statement *statement);
void statement_release(struct worker *worker, struct statement *statement);
/* It calls nextval or its like, which nodes alone can answer. */
bool statement_has_sequences(const char *text, size_t size);
void statements_destroy(struct worker *worker);

/* ---- refusals.c -------------------------------------------------------------------------------
 */

#define REFUSALS(X)                                                                                \
    X(1, REFUSED_SESSION_STATE,                                                                    \
        "what lives as long as a session cannot be had through the router",                        \
        "Temporary tables, cursors WITH HOLD and advisory locks of a session need a shard's "      \
        "session of their own.")                                                                   \
    X(2, REFUSED_PREPARE,                                                                          \
        "PREPARE, EXECUTE and DEALLOCATE in SQL are routed as simple queries only",                \
        "Prepare by the protocol, as drivers do, or send the statement as a simple query.")        \
    X(3, REFUSED_SEVERAL, "several statements in one string that do not all go the same way",      \
        "Send them one by one.")                                                                   \
    X(4, REFUSED_SECOND_SHARD, "a transaction stays on the shard of its first statement",          \
        "Use a saga for work on several shards.")                                                  \
    X(5, REFUSED_SET_CONFIG, "set_config in a transaction block with parameters is not routed",    \
        "Use SET, or set_config before the block.")                                                \
    X(6, REFUSED_DDL_IN_BLOCK, "a definition cannot be changed in a transaction block",            \
        "Each change of the schema is one step of the whole cluster: send it alone, or SET "       \
        "tusk.definitions_commit = on, by which it commits the block before it (without "          \
        "savepoints), and itself.")                                                                \
    X(7, REFUSED_STATEMENT, "this statement is not routed",                                        \
        "Send it to each shard, or write it as statements that are routed.")                       \
    X(8, REFUSED_WRITE, "rows on several shards cannot be changed by one statement",               \
        "Use a saga, or name the shard column's value in WHERE.")                                  \
    X(9, REFUSED_KEY_UNKNOWN, "the shard column's value is not known before the row is there",     \
        "Give it as a constant or a parameter.")                                                   \
    X(10, REFUSED_KEY_CHANGE, "a row's shard column cannot be changed",                            \
        "Delete the row and insert it anew; on two shards by a saga.")                             \
    X(11, REFUSED_REPLICATED,                                                                      \
        "this change of a replicated table needs rows of other nodes, or a primary key",           \
        "It is made on the first node. Read other tables' rows by a statement of its own.")        \
    X(12, REFUSED_SPREAD_IN_BLOCK,                                                                 \
        "rows of several shards cannot be read in this transaction block",                         \
        "Read them before the block, or in one at READ COMMITTED that has met no shard yet.")      \
    X(13, REFUSED_PULL_SIZE,                                                                       \
        "the query reads more rows of the shards again and again than router_pull_size allows",    \
        "Let an equality join its tables, narrow it down, or raise the setting.")                  \
    X(14, REFUSED_LOCAL_SEQUENCE, "setval, currval and lastval are not routed",                    \
        "Use RETURNING for the numbers of rows that are inserted; nextval can be called.")         \
    X(15, REFUSED_COPY_SPREAD, "COPY has rows for several shards",                                 \
        "SET tusk.copy_spread = on lets it be one transaction on each shard, committed one "       \
        "after the other; or send each shard's rows by themselves.")                               \
    X(17, REFUSED_DATABASE, "a cluster of several nodes has one database, \"postgres\"",           \
        "Use schemas, or a cluster of its own for each database.")                                 \
    X(18, REFUSED_KEY_SPREAD, "an idempotency key is of a transaction on one shard",               \
        "Set the key before a transaction whose rows are all on one shard.")                       \
    X(20, REFUSED_REFERENCED,                                                                      \
        "a row of a replicated table that sharded tables refer to can be neither deleted nor "     \
        "get another key",                                                                         \
        "Rows that refer to it may be on other nodes: drop the foreign key, or mark the row.")     \
    X(21, REFUSED_CREATE_AS, "a table over several nodes is not made and filled by one statement", \
        "It would be seen before it is whole: CREATE TABLE .. SHARD BY, then INSERT .. SELECT.")   \
    X(22, REFUSED_ADVISORY, "an advisory lock would exclude nobody at another node",               \
        "Lock a row: INSERT one for it into a table, and SELECT it FOR UPDATE.")

#define REFUSAL_NAME(number, name, message, hint) name = number,
enum {
    REFUSALS(REFUSAL_NAME)
};
struct refusal {
    int number;
    const char *message, *hint;
};
extern const struct refusal refusals[];
extern const size_t refusal_count;
enum err refuse(int number, struct diag *diag);

/* views.c. Before the first client. */
void router_views_register(struct router *router);

/* ---- cluster.c: what the nodes have in common -------------------------------------------------
 */

struct cluster;
struct ctl;

/* Brings every node and the router's own engine to the newest schema, and learns who has which
 * bucket. */
enum err cluster_open(struct task *task, struct router *router, struct diag *diag);
const char *cluster_user(const struct router *router); /* the router's own, at the nodes */
void cluster_close(struct task *task, struct router *router);
uint32_t cluster_schema_version(const struct cluster *cluster);
/* The node that has the bucket; -1: nobody, as far as known. */
int cluster_owner(const struct cluster *cluster, const char *group, uint32_t bucket);
/* Ask the nodes again, for the schema, too: a shard has refused a bucket or an epoch. */
enum err cluster_refresh(struct task *task, struct router *router, struct diag *diag);
/* The same for a statement of this engine, which has locks that a change of the schema may have to
 * wait for: so nobody is waited for here for long; then the schema comes when the statement has
 * ended. */
void cluster_refresh_within(struct task *task, struct router *router);
/* A change of the schema, on all nodes. The session must be in no block; what it says of the
 * statement goes to its client. */
enum err cluster_define(struct task *task, struct router *router, struct sql_session *session,
    struct buffer *out, const char *text, struct diag *diag);

/* Shows `look` the schema as the session's transaction has it. */
enum err cluster_look(struct task *task, struct sql_session *session,
    enum err (*look)(void *arg, const struct sql_inspection *inspection), void *arg,
    struct diag *diag);
/* The same, for the router's own session. */
enum err cluster_look_here(struct task *task, struct router *router,
    enum err (*look)(void *arg, const struct sql_inspection *inspection), void *arg,
    struct diag *diag);
/* A change of the schema that is the router's own. */
enum err cluster_define_own(
    struct task *task, struct router *router, const char *text, struct diag *diag);

/* One query on a connection of the router's own; `row` gets each row's values, NULL data: null. */
typedef enum err node_row(void *arg, const struct slice *values, uint32_t count, struct diag *diag);
enum err node_query(struct task *task, struct upstream *upstream, const char *text, node_row *row,
    void *arg, struct diag *diag);
/* A connection in the settings the router uses for itself. */
enum err node_acquire(struct task *task, struct worker *worker, uint32_t shard, const char *user,
    const char *database, struct upstream **upstream, struct diag *diag);

/* A connection of the router's own, for the caller alone: given back with pool_release, broken. */
enum err cluster_connect(struct task *task, struct router *router, uint32_t node,
    struct upstream **upstream, struct diag *diag);

/* cluster.c, for nodes.c: under the lock, which is this router's alone. */
void cluster_lock(struct task *task, struct router *router);
void cluster_unlock(struct router *router);
/* This engine, and if asked for all others, to the first node's version. */
enum err cluster_synchronize(
    struct task *task, struct router *router, bool others, struct diag *diag);
/* One node of the list to the first node's version, its rows of replicated tables, too (K7). */
enum err cluster_bring_member(
    struct task *task, struct router *router, uint32_t node, struct diag *diag);
/* Whoever is at the other end to this engine's version. */
enum err cluster_bring(
    struct task *task, struct router *router, struct upstream *upstream, struct diag *diag);
/* The next change, which is no statement but these lines (K4; "NODE SQL" or "* SQL"), in the block
 * that is open at the first node; it ends with it. ERR_UNIQUE: another router was faster. */
enum err cluster_append(struct task *task, struct router *router, struct upstream *first,
    const char *words, const char *lines, struct diag *diag);
/* In a pooled connection of the router's own user. */
enum err cluster_at_node(struct task *task, struct router *router, uint32_t shard, const char *text,
    node_row *row, void *arg, struct diag *diag);
node_row cluster_read_number; /* arg: int64_t */
extern const char cluster_create_list[];

/* ---- numbers.c: what sequences give
 * --------------------------------------------------------------
 */

/* Lines of a change (cluster.c): each node's sequence gets a block of its own. */
void numbers_put_first_blocks(
    const struct router *router, const struct relation *sequence, struct buffer *to);
/* Numbers that no node has given or will give, for the sequence there. */
enum err numbers_give_block(struct task *task, struct router *router, struct upstream *upstream,
    const char *schema, const char *name, struct diag *diag);
/* A node's sequence is at the end of its block: it gets another. `message`: the node's words, which
 * name it. */
enum err numbers_extend(struct task *task, struct router *router, uint32_t node,
    const char *message, struct diag *diag);

/* ---- copies.c: changes of replicated tables ------------------------------------------------
 */

enum {
    CLUSTER_NO_MARK = -1,
    CLUSTER_NEW_MARK = 0,
};
/* cluster.c: a change of the schema there (K5). */
enum err cluster_change_at(struct task *task, struct router *router, struct upstream *upstream,
    int64_t version, int64_t mark, struct diag *diag);

void copies_open(struct router *router);
void copies_close(struct task *task, struct router *router);
/* RR3. 0: nothing is known. */
uint64_t copies_known(const struct router *router);
void copies_note(struct router *router, uint64_t version);
/* Of a refusal's DETAIL. */
void copies_note_words(struct router *router, const char *detail);
/* RR1: the node to that version, by the caller. *reached: what it has then. */
enum err copies_bring_on(struct task *task, struct router *router, struct upstream *upstream,
    uint64_t wanted, uint64_t *reached, struct diag *diag);
enum err copies_bring(struct task *task, struct router *router, uint32_t node, uint64_t wanted,
    uint64_t *reached, struct diag *diag);
/* RR2: a change has been committed; returns when all nodes have it. ERR_REPLICATED_PARTLY: one has
 * not within router_replicated_timeout. */
enum err copies_spread(
    struct task *task, struct router *router, uint64_t version, struct diag *diag);
/* RR4: waits a while for the node, or (-1) all, to have what is known. */
void copies_catch_up(struct task *task, struct router *router, int node);
/* Under the cluster's lock: tasks for new nodes; what all nodes have is forgotten. */
void copies_keep(struct task *task, struct router *router);
void copies_forget(struct task *task, struct router *router);

/* ---- nodes.c: which nodes there are -----------------------------------------------------------
 */

/* At the start: from whoever of router_nodes knows them; nobody does: they are what it says. */
enum err nodes_open(struct task *task, struct router *router, struct diag *diag);
/* At the start, when nodes that must be asked cannot be reached: a moment's pause. The log says
 * every few seconds who they are, and why; *told_us is 0 at first. ERR_ADMIN_SHUTDOWN: no more. */
enum err nodes_wait(struct task *task, struct router *router, int64_t *told_us, struct diag *diag);
/* Is the only node of router_nodes one of a cluster (its setting cluster_node)? Waits for who
 * cannot be reached; who does not let us in is not. */
enum err nodes_has_cluster(struct task *task, struct router *router, bool *has, struct diag *diag);
/* What the first node says. */
enum err nodes_load(struct task *task, struct router *router, struct diag *diag);
/* The number of one that is not dropped; -1: there is none. */
int router_node(const struct router *router, const char *name);
/* host:port; false: it is not that. */
bool router_node_address(struct router_node *node, const char *text, size_t size);
/* ALTER CLUSTER: all of it. */
enum err cluster_alter(struct task *task, struct router *router, struct sql_session *session,
    const struct ast_alter_cluster *alter, struct diag *diag);

/* ---- balance.c --------------------------------------------------------------------------------
 */

/* ALTER CLUSTER DRAIN NODE; NULL: REBALANCE. */
enum err cluster_balance(struct task *task, struct router *router, struct sql_session *session,
    const char *drain, struct diag *diag);
/* The next move of a plan that nobody follows, or its end. */
enum err balance_resume(struct task *task, struct router *router, struct ctl *ctl, const char *key,
    struct arena *arena, struct diag *diag);
/* All plans there are. node: NULL for none; left: moves. */
enum err balance_each(struct task *task, struct router *router, struct arena *arena,
    enum err (*each)(void *arg, const char *plan, const char *node, uint64_t moved, uint64_t left),
    void *arg, struct diag *diag);

/* ---- move.c ------------------------------------------------------------------------------------
 */

/* A task that hears of moves in the control store, and ends those that nobody drives any more. */
enum err control_open(struct task *task, struct router *router, struct diag *diag);
void control_close(struct task *task, struct router *router);
bool cluster_is_move(const struct ast_node *body);
/* The control store that moves are noted in, as router_control says, or this router's own. */
enum err cluster_control(
    struct task *task, struct router *router, struct ctl **ctl, struct diag *diag);
enum err cluster_require_superuser(struct task *task, struct router *router,
    struct sql_session *session, const char *what, struct diag *diag);
/* One bucket, by whoever is at it; what was left there is ended first. */
enum err cluster_move_bucket(struct task *task, struct router *router, struct ctl *ctl,
    const char *group, uint32_t bucket_count, uint32_t bucket, const char *to, struct arena *arena,
    struct diag *diag);
enum err cluster_move(struct task *task, struct router *router, struct sql_session *session,
    const struct ast_alter_table *alter, struct diag *diag);

/* ---- sagas.c -----------------------------------------------------------------------------------
 */

struct sagas;

enum err sagas_open(struct task *task, struct router *router, struct diag *diag);
void sagas_close(struct task *task, struct router *router);
/* The tables that its records need are there when this returns. */
enum err sagas_prepare(struct task *task, struct router *router, struct sql_session *session,
    const struct ast_create_saga *statement, struct diag *diag);
/* A value of type bytea, in its text form. */
enum err sagas_read_bytes(
    struct arena *arena, struct slice text, struct slice *read, struct diag *diag);
/* To the home: of START SAGA's key, or ALTER SAGA's number. */
enum err sagas_route(struct task *task, struct sql_session *session, const struct ast_node *body,
    const char *text, struct route *route, struct diag *diag);

/* ---- settled.c: tusk.saga_reads = settled ------------------------------------------------------
 */

bool settled_wanted(struct sql_session *session);
/* A moment not before now, and which sagas are open at it; body of a message for the nodes. */
enum err settled_learn(
    struct task *task, struct worker *worker, struct buffer *list, struct diag *diag);
/* The same for this moment, of the nodes at these connections, which are all as of this version of
 * the schema. ERR_WRONG_BUCKET: there may be others by now. */
enum err settled_ask(struct task *task, struct upstream **upstreams, uint32_t count,
    uint64_t moment, uint32_t version, struct buffer *list, struct diag *diag);
/* It counts for the statement that is put next. */
void settled_put(struct upstream *upstream, const struct buffer *list);
/* Nodes forget those that have ended. */
enum err settled_close(struct task *task, struct worker *worker, struct diag *diag);

/* Of one worker's clients. */
struct settled_rounds {
    uint64_t begun, done; /* the number of the last */
    bool running;
    struct buffer list; /* of the last that was done */
    struct list_node waiters;
};

/* ---- listen.c -----------------------------------------------------------------------------------
 */

struct listeners;

void listeners_create(struct router *router);
void listeners_close(struct task *task, struct router *router);
/* The session's channels are others than before. wait: until all nodes have taken it (L1); *away:
 * one that cannot be reached, or NULL. */
enum err listeners_hear(struct task *task, struct router *router, struct sql_session *session,
    bool wait, const char **away, struct diag *diag);
/* What the session has committed (L4). */
enum err listeners_tell(struct task *task, struct router *router, struct sql_session *session,
    const char *channel, const char *payload, struct diag *diag);

/* ---- remote.c: rows of several shards, for the router's own engine -----------------------------
 */

/* A client's; connections are taken at the first stream of a statement. */
struct remote_cut {
    struct worker *worker;
    struct sql_session *session;
    struct exec_remote remote;
    struct moment *moment; /* of the statement; NULL: it has not been chosen yet */
    bool replicated;       /* the statement reads replicated tables (RS7) */
    struct remote_copy *copy;
    /* The node's connection that the client's block is on, from now on. */
    enum err (*pin)(
        struct task *task, void *arg, uint32_t node, struct upstream **upstream, struct diag *diag);
    void *pin_arg;
};
extern const struct exec_remote_copy remote_copy_calls; /* copy.c; arg: struct remote_cut * */

node_row remote_note_clock; /* arg: uint64_t *, raised to what is said */
void remote_start(struct remote_cut *cut, struct worker *worker, struct sql_session *session);
/* The statement is over: connections go back, unless a portal still reads. */
void remote_end(struct task *task, struct remote_cut *cut);

/* ---- router.c, client.c -----------------------------------------------------------------------
 */

enum {
    STATEMENT_BUCKETS = 4096,
    STATEMENTS_MAX = 5000,
    NORMALIZE_SIZE_MAX = 16 * 1024, /* longer texts are parsed whenever they come */
};

struct worker {
    struct router *router;
    struct list_node pools;
    struct list_node clients;
    struct breaker breakers[ROUTER_NODES_MAX];
    struct statement *statements[STATEMENT_BUCKETS];
    struct list_node ages; /* statements nobody holds, the oldest first */
    uint32_t statement_count, next_statement;
    struct settled_rounds rounds;
    struct arena arena;                  /* of one call */
    struct parser_normalized normalized; /* of one call */
    uint8_t literal_types[4 * PARSER_LITERALS_MAX];
    uint32_t next_node; /* for what any node can answer */
    char normal[NORMALIZE_SIZE_MAX + 4 * PARSER_LITERALS_MAX + 1];
};

/* Called by server_run. arg: struct router *. */
enum err router_opened(struct task *task, void *arg, struct sql_engine *engine, struct diag *diag);
void router_closing(struct task *task, void *arg);
void client_relay(struct router *router, struct connection_relay *relay);
/* What the client of eval's session has prepared: rows of pg_prepared_statements, of a router of
 * one node. */
enum err client_prepared(struct worker *worker, struct eval *eval,
    enum err (*emit)(void *arg, const struct datum *values), void *arg);

#endif /* ROUTER_ROUTER_H */
