/*
 * tests/sim/cluster/main.c - tusk_sim_cluster: four nodes, two routers and a control store in one
 * simulated world, seed after seed.
 *
 *     tusk_sim_cluster --seed N [--count K] [--once] [--verbose] [--trouble]
 *
 * A run is two to four lives, as tusk_sim's: each ends by a power cut of everything at a moment or
 * at a file operation (but the last, which ends when all has been looked at), and the next one
 * begins with what the disk has kept. In a life clients write through both routers, buckets are
 * moved, rows of a replicated table are changed, connections are cut, nodes'
 * clocks go ahead. With --trouble a fourth
 * node comes and is drained, ranges are split, and in some lives single nodes and routers are
 * killed and started again, stopped for longer than leases last, cut off from each other or from
 * the control store, or have wrong wall clocks (chaos_main). The second router looks for changes
 * once an hour only: it learns by being refused.
 *
 * What must hold: for every reader, at every moment, all rows are there once and the sum of values
 * is the number of log rows; at the end each row is on the node that owns its bucket and nowhere
 * else; what was acknowledged is there once, what failed is not. Of a replicated table: a reader
 * sees all that was acknowledged before he asked, and the same rows on all nodes in one query; at
 * the end all nodes have the same rows. Both runs of a seed are the same.
 */
#include <getopt.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "router/router.h"
#include "saga/saga.h"
#include "shard/ctl.h"
#include "shard/map.h"
#include "sql/catalog/trees.h"
#include "tests/sim/sim.h"

enum {
    NODES = 3, /* from the beginning on */
    NODES_ALL = 4,
    ROUTERS = 2,
    FIRST_ROUTER = NODES_ALL,
    SERVERS = NODES_ALL + ROUTERS,
    DAYS = 40,
    SPLITS_MAX = 12,
    ROWS = 24,
    BUCKETS = 6,
    WRITERS = 3,
    TRANSFERS_MAX = 100000,
    REPEATS = 3, /* of a write with a key */
    SAGAS_MAX = 4000,
    OWNERS = 2,     /* of rows that only one client's sagas change, one at a time */
    OWNED_ROWS = 4, /* of each */
    COPIES = 3,     /* rows of the replicated table */
    FIRST_PORT = 5440,
    ARGUMENTS_MAX = 10,
    LIFE_SECONDS_MAX = 120,
    PATIENCE_US = 120 * 1000000,
    QUIET_US = 240 * 1000000, /* for moves that were left to be ended */
    LOOK_US = 100000,
    AHEAD_US_MAX = 200000, /* in all lives together less than a minute, which nodes refuse */
};

enum fate {
    FATE_NONE,
    FATE_SENT, /* nothing is known */
    FATE_DONE,
    FATE_FAILED,
};

/* What clients know, over all lives. */
struct ledger {
    uint32_t next;
    uint8_t fate[TRANSFERS_MAX];
    uint8_t row[TRANSFERS_MAX];
    uint32_t splits;
    uint32_t sagas; /* asked for */
    struct {
        uint8_t from, to, bad; /* 2: its first step never succeeds, and its time ends */
        bool in_block;         /* it begins beside a row of sw, which is there if it does */
        uint8_t fate;          /* of the block */
        bool touched;          /* by ALTER SAGA INSTANCE */
        uint8_t skips[2];      /* of each step: how often it may have been skipped */
        int64_t number;
    } saga[SAGAS_MAX];
    struct owned {
        uint32_t sagas;
        int64_t v[OWNED_ROWS]; /* when the last one had not begun */
        uint8_t from, to;
        bool open, bad; /* the last one */
    } owned[OWNERS];
    /* By how much rows of the replicated table were raised: answered; told that it is committed and
     * not everywhere; not known. */
    int64_t raised[COPIES], partly[COPIES], unknown[COPIES];
};

struct life life; /* of tests/sim/sim.h: its world, number, steps */
static struct ledger *ledger;
static struct buffer template;
static struct server_options servers[SERVERS];
static struct router routers[ROUTERS];
static struct task *lead_task;
static unsigned clients_left;
static uint64_t moves_done, cuts_read, refusals_met, settled_read, settled_refused;
static bool chaos_ends, chaos_ended;
static bool trouble;   /* --trouble */
static unsigned chaos; /* a set of enum trouble; 0: none in this life */

int64_t
sim_now_us(void)
{
    return kept->clock_us + (life.now == NULL ? 0 : world_sim_now_us(life.now));
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* A bucket is on its way, a connection is gone, two met: nothing else may go wrong. */
static bool
is_allowed(const struct client *client)
{
    static const char *const codes[] = {"TR003", "TR004", "TR006", "08001", "08006", "08007",
        "40001", "40P01", "57P01", "57P03", "25P02", "53300", "TR005"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(client->sqlstate, codes[i]) == 0) {
            return true;
        }
    }
    /* A node that is drained has no home either. */
    if (trouble && strcmp(client->sqlstate, "55000") == 0 &&
        strstr(client->message, "has no bucket of tusk_cluster.sagas") != NULL) {
        return true;
    }
    /* Who is started again remembers no older moment. */
    return chaos != 0 && strcmp(client->sqlstate, "72000") == 0;
}

void
sim_check_error(const struct client *client, const char *doing)
{
    if (!is_allowed(client)) {
        sim_fail("%s, %s: %s %s", client->name, doing, client->sqlstate, client->message);
    }
    refusals_met++;
}

/* ---- the servers ----------------------------------------------------------------------------- */

static const char *const names[SERVERS] = {"n1", "n2", "n3", "n4", "r1", "r2"};

static void
server_main(struct task *task, void *arg)
{
    size_t which = (size_t)((struct server_options *)arg - servers);
    struct server_options *server = arg;
    char texts[ARGUMENTS_MAX][128];
    const char *arguments[ARGUMENTS_MAX];
    int count = 0;
    (void)snprintf(texts[count++], 128, "port=%d", FIRST_PORT + (int)which);
    (void)snprintf(texts[count++], 128, "shared_buffers=4MB");
    (void)snprintf(texts[count++], 128, "max_connections=160");
    if (which < NODES_ALL) {
        (void)snprintf(texts[count++], 128, "cluster_node=%s", names[which]);
        (void)snprintf(texts[count++], 128, "history_window=20s");
    } else {
        (void)snprintf(texts[count++], 128,
            "router_nodes=n1=127.0.0.1:%d,n2=127.0.0.1:%d,n3=127.0.0.1:%d", FIRST_PORT,
            FIRST_PORT + 1, FIRST_PORT + 2);
        (void)snprintf(texts[count++], 128, "router_user=sim");
        (void)snprintf(texts[count++], 128, "router_control=file:ctl");
        (void)snprintf(texts[count++], 128, "router_sync=%s", which == FIRST_ROUTER ? "1s" : "1h");
        (void)snprintf(texts[count++], 128, "router_breaker_failures=1000");
        (void)snprintf(
            texts[count++], 128, "router_watch=%s", which == FIRST_ROUTER ? "on" : "off");
        (void)snprintf(texts[count++], 128, "router_balance_pause=1ms");
    }
    for (int i = 0; i < count; i++) {
        arguments[i] = texts[i];
    }
    server->arguments = arguments;
    server->argument_count = (uint32_t)count;
    struct diag *diag = mem_zalloc(sizeof *diag);
    for (;;) {
        enum err err = sql_config_load(
            task, server->data_directory, arguments, (uint32_t)count, &server->config, diag);
        if (err == ERR_OK && which >= FIRST_ROUTER) {
            struct router *router = &routers[which - FIRST_ROUTER];
            *router =
                (struct router){.config = server->config, .directory = server->data_directory};
            client_relay(router, &router->relay);
            server->relay = &router->relay;
            server->opened = router_opened;
            server->closing = router_closing;
            server->arg = router;
        }
        err = err == ERR_OK ? server_run(task, server, diag) : err;
        /* A router needs the first node; its connection may have been cut. */
        if (which < FIRST_ROUTER || err == ERR_OK) {
            sim_fail("server %s ended: %s", names[which], err == ERR_OK ? "" : diag->message);
        }
        sim_tell("router %s did not start: %s", names[which], diag->message);
        sql_config_release(server->config);
        task_sleep(task, LOOK_US);
    }
}

/* ---- clients --------------------------------------------------------------------------------- */

static bool
connect_to(struct client *client, size_t server)
{
    client->port = (uint16_t)(FIRST_PORT + server);
    return client_connect(client, PATIENCE_US);
}

static void
need_connection(struct client *client, size_t server)
{
    if (client->socket == NULL && !connect_to(client, server)) {
        sim_fail("%s: no connection to %s", client->name, names[server]);
    }
}

static void
roll_back(struct client *client)
{
    if (client->socket != NULL && client->status != 'I') {
        (void)client_query_text(client, "rollback");
    }
}

/* True: it is answered well. */
static bool
try_query(struct client *client, const char *text)
{
    if (client->socket == NULL || client_query_text(client, text) != ANSWER_DONE) {
        if (client->socket != NULL) {
            sim_check_error(client, text);
        }
        return false;
    }
    return true;
}

/* Until it is answered well. */
static void
must_query(struct client *client, size_t server, const char *text)
{
    int64_t until = world_clock_us(life.now) + QUIET_US;
    for (;;) {
        need_connection(client, server);
        if (try_query(client, text)) {
            return;
        }
        roll_back(client);
        if (world_clock_us(life.now) > until) {
            sim_fail("%s: \"%s\" fails again and again: %s %s", client->name, text,
                client->sqlstate, client->message);
        }
        task_sleep(client->task, LOOK_US);
    }
}

/* One attempt. With a key it may be one of several: only the first knows that it has failed. */
static void
write_row(struct client *client, uint32_t number, bool first, bool keyed, bool again)
{
    char text[160];
    uint32_t row = ledger->row[number];
    if (!try_query(client, "begin")) {
        return;
    }
    if (keyed) {
        (void)snprintf(text, sizeof text, "set local tusk.idempotency_key = 'write-%u'", number);
        if (!try_query(client, text)) {
            return;
        }
    }
    for (int i = 0; i < 2; i++) {
        if ((i == 0) == first) {
            (void)snprintf(text, sizeof text, "update acc set v = v + 1 where id = %u", row);
        } else {
            (void)snprintf(text, sizeof text, "insert into log values (%u, %u)", row, number);
        }
        if (!try_query(client, text)) {
            return;
        }
        if (strcmp(client->tag, "UPDATE 1") != 0 && strcmp(client->tag, "INSERT 0 1") != 0) {
            sim_fail("%s: \"%s\" says %s", client->name, text, client->tag);
        }
        if (kept_one_in(4)) {
            task_sleep(client->task, (int64_t)kept_draw(20000));
        }
    }
    if (!again) {
        ledger->fate[number] = FATE_SENT;
    }
    if (try_query(client, "commit")) {
        if (strcmp(client->tag, "COMMIT") != 0) {
            sim_fail("%s: the commit says %s", client->name, client->tag);
        }
        ledger->fate[number] = FATE_DONE;
        kept->commits += again ? 0 : 1;
    } else if (!again && client->socket != NULL && strcmp(client->sqlstate, "08007") != 0 &&
               strcmp(client->sqlstate, "08006") != 0) {
        ledger->fate[number] = FATE_FAILED;
    } else if (!again) {
        kept->unknown++;
    }
}

/* Errors that a change of the cluster may meet, beside the usual ones. */
static void
change(struct client *client, const char *text)
{
    static const char *const codes[] = {
        "55006", "55000", "55P03", "42710", "42704", "58030", "57014", "42P17", "22023", "23505"};
    if (client_query_text(client, text) == ANSWER_DONE) {
        moves_done++;
        return;
    }
    for (size_t i = 0; client->socket != NULL && i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(client->sqlstate, codes[i]) == 0) {
            return;
        }
    }
    if (client->socket != NULL) {
        sim_check_error(client, text);
    }
}

static void
write_once(struct client *client)
{
    uint32_t number = ledger->next++;
    ASSERT(number < TRANSFERS_MAX);
    ledger->row[number] = (uint8_t)(1 + (uint32_t)kept_draw(ROWS));
    ledger->fate[number] = FATE_FAILED;
    bool first = kept_one_in(2); /* in either order: an insert, too, may be what is refused */
    bool keyed = kept_one_in(2);
    write_row(client, number, first, keyed, false);
    /* Repeated, though it may have taken effect, or has: the log has no row twice. */
    for (int tries = 0; keyed && tries < REPEATS && ledger->fate[number] != FATE_FAILED; tries++) {
        task_sleep(client->task, (int64_t)kept_draw(100000));
        roll_back(client);
        need_connection(client, FIRST_ROUTER + kept_draw(ROUTERS));
        write_row(client, number, first, true, true);
    }
}

static void
move_once(struct client *client)
{
    char text[96];
    bool home = kept_one_in(3);
    (void)snprintf(text, sizeof text, "alter table %s move bucket %u to n%u",
        home ? "tusk_cluster.sagas" : "acc", (unsigned)kept_draw(home ? SAGA_SLOTS : BUCKETS),
        1 + (unsigned)kept_draw(NODES));
    change(client, text);
    task_sleep(client->task, (int64_t)kept_draw(50000));
}

static void
check_cut(const struct client *client, int64_t rows, int64_t sum, int64_t logged)
{
    cuts_read++;
    if (rows != ROWS) {
        sim_fail("%s: %lld rows of %d", client->name, (long long)rows, ROWS);
    }
    if (sum != logged) {
        sim_fail("%s: values add up to %lld, and there are %lld log rows", client->name,
            (long long)sum, (long long)logged);
    }
}

/* Through a router all of it is read as of one moment. */
static void
look_once(struct client *client)
{
    if (try_query(client, "select (select count(*) from acc), (select sum(v) from acc), "
                          "(select count(*) from log)")) {
        check_cut(
            client, client_int(client, 0, 0), client_int(client, 0, 1), client_int(client, 0, 2));
    }
    task_sleep(client->task, (int64_t)kept_draw(30000));
}

static bool
try_on(struct client *client, size_t node, const char *text)
{
    client_close(client);
    need_connection(client, node);
    return try_query(client, text);
}

/* A node's clock goes ahead of the others', as by a restart or a machine whose clock is wrong. */
static void
raise_once(struct client *client)
{
    char text[80];
    size_t node = kept_draw(NODES);
    if (try_on(client, node, "select tusk_hlc()")) {
        (void)snprintf(text, sizeof text, "set tusk.route = 'hlc=%lld'",
            (long long)client_int(client, 0, 0) + ((long long)kept_draw(AHEAD_US_MAX) << 12));
        (void)(try_query(client, text) && try_query(client, "select tusk_hlc()"));
    }
    task_sleep(client->task, (int64_t)kept_draw(50000));
}

/* As a router that is slow: all nodes as of one moment which is long gone when they are asked. */
static void
cut_once(struct client *client)
{
    static const char find_log[] = "select count(*) from pg_tables where tablename = 'log'";
    static const char where[] = "this node is at ";
    static int64_t epoch; /* as they say when they refuse another */
    char route[96];
    int64_t stamp = 0, found[3] = {0};
    for (size_t node = 0; node < NODES_ALL; node++) {
        if (!try_on(client, node, "select tusk_hlc()")) {
            return;
        }
        stamp = stamp > client_int(client, 0, 0) ? stamp : client_int(client, 0, 0);
    }
    task_sleep(client->task, (int64_t)kept_draw(100000));
    (void)snprintf(route, sizeof route, "set tusk.route = 'epoch=%lld read_at=%lld'",
        (long long)epoch, (long long)stamp);
    for (size_t node = 0; node < NODES_ALL; node++) {
        if (node >= NODES && !try_on(client, node, find_log)) {
            return;
        }
        if (node >= NODES && client_int(client, 0, 0) == 0) {
            continue; /* the fourth has not come yet */
        }
        if (!try_on(client, node, route) ||
            !try_query(client, "select (select count(*) from acc), (select coalesce(sum(v), 0) "
                               "from acc), (select count(*) from log)")) {
            const char *at = strstr(client->message, where);
            epoch = at == NULL ? epoch : strtoll(at + sizeof where - 1, NULL, 10);
            return;
        }
        for (uint32_t i = 0; i < 3; i++) {
            found[i] += client_int(client, 0, i);
        }
    }
    check_cut(client, found[0], found[1], found[2]);
}

/* In a block or alone. */
static void
raise_copy(struct client *client)
{
    char text[96];
    size_t row = kept_draw(COPIES);
    bool block = kept_one_in(3);
    (void)snprintf(text, sizeof text, "update rep set v = v + 1 where k = %zu", row);
    if (block && (!try_query(client, "begin") || !try_query(client, text))) {
        return;
    }
    ledger->unknown[row]++;
    enum answer answer = client_query_text(client, block ? "commit" : text);
    bool partly = client->socket != NULL && strcmp(client->sqlstate, "TR007") == 0;
    if (answer == ANSWER_DONE) {
        if (strcmp(client->tag, block ? "COMMIT" : "UPDATE 1") != 0) {
            sim_fail("%s: \"%s\" says %s", client->name, text, client->tag);
        }
        ledger->raised[row]++;
        ledger->unknown[row]--;
        kept->commits++;
    } else if (partly) {
        ledger->partly[row]++;
        ledger->unknown[row]--;
    } else if (client->socket != NULL) {
        sim_check_error(client, text);
        if (strcmp(client->sqlstate, "08007") != 0 && strcmp(client->sqlstate, "08006") != 0) {
            ledger->unknown[row]--;
        }
    }
    task_sleep(client->task, (int64_t)kept_draw(30000));
}

/* On one node, or on all of them as of one moment. */
static void
look_at_copies(struct client *client)
{
    int64_t answered[COPIES];
    char text[160];
    bool spread = kept_one_in(2);
    memcpy(answered, ledger->raised, sizeof answered);
    if (spread) {
        (void)snprintf(text, sizeof text,
            "select rep.k, min(rep.v), max(rep.v), count(*) from acc, "
            "rep group by rep.k order by 1");
    } else {
        (void)snprintf(text, sizeof text,
            "select rep.k, rep.v, rep.v, %d from acc, rep where acc.id = %u order by 1", ROWS,
            1 + (unsigned)kept_draw(ROWS));
    }
    if (!try_query(client, text)) {
        task_sleep(client->task, (int64_t)kept_draw(30000));
        return;
    }
    for (uint32_t i = 0; i < client->rows; i++) {
        int64_t low = client_int(client, i, 1), high = client_int(client, i, 2);
        if (low != high || client_int(client, i, 3) != ROWS) {
            sim_fail("%s: a replicated row is %lld and %lld in one query, %lld times", client->name,
                (long long)low, (long long)high, (long long)client_int(client, i, 3));
        }
        if (low < answered[i] || client->rows != COPIES) {
            sim_fail("%s: replicated row %u is %lld, and was raised to %lld at least", client->name,
                i, (long long)low, (long long)answered[i]);
        }
    }
    task_sleep(client->task, (int64_t)kept_draw(30000));
}

static void
saga_text(uint32_t id, bool wait, char *text, size_t size)
{
    (void)snprintf(text, size, "start saga %s (%u, %d, %d, %d) with key 'pass %u'%s",
        ledger->saga[id].bad == 2 ? "late" : "pass", id, ledger->saga[id].from, ledger->saga[id].to,
        ledger->saga[id].bad, id, wait ? " wait" : "");
}

/* A key names one saga. */
static void
note_saga(const struct client *client, uint32_t id)
{
    int64_t number = client_int(client, 0, 0);
    if (ledger->saga[id].number != 0 && ledger->saga[id].number != number) {
        sim_fail("saga %u had number %lld, and now it is %lld", id,
            (long long)ledger->saga[id].number, (long long)number);
    }
    for (uint32_t i = 0; i < ledger->sagas; i++) {
        if (i != id && ledger->saga[i].number == number) {
            sim_fail("sagas %u and %u have both number %lld", i, id, (long long)number);
        }
    }
    ledger->saga[id].number = number;
}

static uint32_t
new_saga(bool in_block)
{
    uint32_t id = ledger->sagas++;
    ASSERT(id < SAGAS_MAX);
    ledger->saga[id].from = (uint8_t)(1 + kept_draw(ROWS));
    ledger->saga[id].to = (uint8_t)(1 + kept_draw(ROWS));
    ledger->saga[id].bad = kept_one_in(3) ? (uint8_t)(1 + kept_draw(2)) : 0;
    ledger->saga[id].in_block = in_block;
    return id;
}

/* Somebody looks after one of them. */
static void
alter_saga(struct client *client, uint32_t id)
{
    static const char *const actions[] = {"pause", "resume", "compensate", "retry"};
    static const char *const steps[] = {"take", "give"};
    char text[96];
    size_t step = kept_draw(2);
    bool skips = kept_one_in(3);
    ledger->saga[id].touched = true;
    for (int i = skips ? 0 : 1; i < 2; i++) {
        if (i == 1 && skips) {
            ledger->saga[id].skips[step]++;
        }
        (void)snprintf(text, sizeof text, "alter saga instance %lld %s%s",
            (long long)ledger->saga[id].number,
            i == 0  ? "pause"
            : skips ? "skip step "
                    : actions[kept_draw(4)],
            i == 1 && skips ? steps[step] : "");
        if (client_query_text(client, text) == ANSWER_ERROR &&
            strcmp(client->sqlstate, "55000") == 0 && i == 1 && skips) {
            ledger->saga[id].skips[step]--;
        }
        if (client->socket == NULL) {
            return;
        }
        if (client->answer == ANSWER_ERROR && strcmp(client->sqlstate, "55000") != 0) {
            sim_check_error(client, text);
        }
    }
}

/* One unit from one row to another, of any bucket; a bad one is to be taken back. With its key, for
 * the first time or again. */
static void
start_saga(struct client *client)
{
    bool again = ledger->sagas > 0 && kept_one_in(3);
    uint32_t id = again ? (uint32_t)kept_draw(ledger->sagas) : new_saga(false);
    char text[160];
    if (ledger->saga[id].in_block) {
        return;
    }
    saga_text(id, kept_one_in(4), text, sizeof text);
    if (try_query(client, text)) {
        note_saga(client, id);
        kept->commits++;
        if (kept_one_in(4)) {
            alter_saga(client, id);
        }
    }
    task_sleep(client->task, (int64_t)kept_draw(20000));
}

/* Beside a row of the client's own; for the first time or again, by the same key. */
static void
start_in_block(struct client *client)
{
    uint32_t id = ledger->sagas > 0 ? (uint32_t)kept_draw(ledger->sagas) : 0;
    char text[160];
    bool again = ledger->sagas > 0 && ledger->saga[id].in_block && kept_one_in(2);
    id = again ? id : new_saga(true);
    bool back = !again && kept_one_in(4);
    if (!again) {
        ledger->saga[id].fate = FATE_FAILED;
    }
    (void)snprintf(text, sizeof text, "insert into sw values (%u, %u) on conflict do nothing",
        1 + (unsigned)kept_draw(ROWS), id);
    if (!try_query(client, "begin") || !try_query(client, text)) {
        return;
    }
    saga_text(id, false, text, sizeof text);
    if (!try_query(client, text) || (back && try_query(client, "rollback"))) {
        return;
    }
    uint8_t fate = ledger->saga[id].fate;
    ledger->saga[id].fate = fate == FATE_DONE ? FATE_DONE : FATE_SENT;
    if (try_query(client, "commit") && strcmp(client->tag, "COMMIT") == 0) {
        ledger->saga[id].fate = FATE_DONE;
        kept->commits++;
    }
    task_sleep(client->task, (int64_t)kept_draw(20000));
}

/* ---- settled reads -----------------------------------------------------------------------------
 *
 * Rows of which it is known what each may be: as before the last saga or as after it, all of them
 * alike, and as after it for ever once it was seen or its end was answered.
 */

static int64_t
first_of(const struct owned *owned)
{
    return (owned - ledger->owned) * OWNED_ROWS + 1;
}

static int64_t
after(const struct owned *owned, uint32_t row)
{
    return owned->v[row] - (row == owned->from) + (row == owned->to);
}

static void
end_owned(struct owned *owned, bool completed)
{
    for (uint32_t row = 0; completed && row < OWNED_ROWS; row++) {
        owned->v[row] = after(owned, row);
    }
    owned->open = false;
}

/* Values of the rows from `row` on. */
static void
judge_settled(struct client *client, struct owned *owned, uint32_t row, const char *how)
{
    bool before = true, behind = owned->open && !owned->bad;
    for (uint32_t i = 0; i < client->rows; i++) {
        int64_t value = client_int(client, i, 0);
        before = before && value == owned->v[row + i];
        behind = behind && value == after(owned, row + i);
    }
    settled_read++;
    if (!before && !behind) {
        sim_fail("%s: %s: row %lld is %lld; it was %lld, saga %u of %u to %u is %s%s", client->name,
            how, (long long)(first_of(owned) + row), (long long)client_int(client, 0, 0),
            (long long)owned->v[row], owned->sagas, owned->from, owned->to,
            owned->open ? "open" : "over", owned->bad ? ", bad" : "");
    }
    if (!before) {
        end_owned(owned, true);
    }
}

/* True: there is an answer. What stood there before a crash or a move may not be known. */
static bool
try_settled(struct client *client, const char *text)
{
    if (client->socket != NULL && client_query_text(client, text) == ANSWER_DONE) {
        return true;
    }
    if (client->socket != NULL && strcmp(client->sqlstate, "TS011") == 0) {
        settled_refused++;
    } else if (client->socket != NULL && client->status == 'E' &&
               strstr(client->message, "stays on the shard") != NULL) {
        /* Its bucket has moved since the block's first statement. */
    } else if (client->socket != NULL) {
        sim_check_error(client, text);
    }
    return false;
}

static void
look_settled(struct client *client, struct owned *owned)
{
    char all[128], one[80];
    long long first = first_of(owned);
    uint32_t row = (uint32_t)kept_draw(OWNED_ROWS);
    (void)snprintf(all, sizeof all,
        "select v from owned where id between %lld and %lld order by id", first,
        first + OWNED_ROWS - 1);
    (void)snprintf(one, sizeof one, "select v from owned where id = %lld", first + row);
    if (!try_query(client, "set tusk.saga_reads = settled")) {
        return;
    }
    if (kept_one_in(4)) {
        int64_t value = 0;
        if (try_query(client, "begin isolation level repeatable read") &&
            try_settled(client, one)) {
            judge_settled(client, owned, row, "in a block");
            value = client_int(client, 0, 0);
            task_sleep(client->task, (int64_t)kept_draw(50000));
            if (try_settled(client, one) && client_int(client, 0, 0) != value) {
                sim_fail("%s: in one snapshot a row is %lld, then %lld", client->name,
                    (long long)value, (long long)client_int(client, 0, 0));
            }
        }
        roll_back(client);
    }
    if (kept_one_in(2) && try_settled(client, one)) {
        judge_settled(client, owned, row, "one row");
    }
    if (try_settled(client, all)) {
        if (client->rows != OWNED_ROWS) {
            sim_fail("%s: %u rows", client->name, client->rows);
        }
        judge_settled(client, owned, 0, "all rows");
    }
    if (client->socket != NULL) {
        (void)try_query(client, "reset tusk.saga_reads");
    }
}

static void
owned_text(const struct owned *owned, bool wait, char *text, size_t size)
{
    (void)snprintf(text, size, "start saga shift (%lld, %lld, %d) with key 'shift %lld %u'%s",
        (long long)(first_of(owned) + owned->from), (long long)(first_of(owned) + owned->to),
        owned->bad, (long long)first_of(owned), owned->sagas, wait ? " wait" : "");
}

static void
note_owned(struct client *client, struct owned *owned)
{
    const char *state = client_value(client, 0, 1);
    if (strcmp(state, "completed") == 0 || strcmp(state, "compensated") == 0) {
        if (owned->bad == (strcmp(state, "completed") == 0)) {
            sim_fail("%s: the saga is %s: %s", client->name, state, client_value(client, 0, 2));
        }
        end_owned(owned, !owned->bad);
    }
}

static void
shift_once(struct client *client, struct owned *owned)
{
    char text[160];
    if (!owned->open) {
        owned->sagas++;
        owned->from = (uint8_t)kept_draw(OWNED_ROWS);
        owned->to = (uint8_t)((owned->from + 1 + kept_draw(OWNED_ROWS - 1)) % OWNED_ROWS);
        owned->bad = kept_one_in(3);
        owned->open = true;
        owned_text(owned, false, text, sizeof text);
        (void)try_query(client, text);
    } else if (kept_one_in(3)) {
        owned_text(owned, true, text, sizeof text);
        if (try_query(client, text)) {
            note_owned(client, owned);
        }
    }
    roll_back(client);
    if (kept_one_in(2)) {
        task_sleep(client->task, (int64_t)kept_draw(20000));
    }
    if (client->socket != NULL && kept_one_in(3)) {
        client_close(client); /* what was answered here is seen through the other router, too */
        need_connection(client, FIRST_ROUTER + kept_draw(ROUTERS));
    }
    if (client->socket != NULL) {
        look_settled(client, owned);
    }
}

static void
shift_first(struct client *client)
{
    shift_once(client, &ledger->owned[0]);
}

static void
shift_second(struct client *client)
{
    shift_once(client, &ledger->owned[1]);
}

/* All have ended, so nothing is unknown, and nodes need to keep nothing. */
static void
verify_settled(struct client *client)
{
    for (uint32_t i = 0; i < OWNERS; i++) {
        struct owned *owned = &ledger->owned[i];
        char text[160];
        if (owned->open) {
            owned_text(owned, true, text, sizeof text);
            must_query(client, FIRST_ROUTER, text);
            note_owned(client, owned);
        }
    }
    for (uint32_t i = 0; i < OWNERS; i++) {
        struct owned *owned = &ledger->owned[i];
        char text[128];
        (void)snprintf(text, sizeof text,
            "select v from owned where id between %lld and %lld order by id",
            (long long)first_of(owned), (long long)first_of(owned) + OWNED_ROWS - 1);
        client_close(client);
        must_query(client, FIRST_ROUTER, "set tusk.saga_reads = settled");
        must_query(client, FIRST_ROUTER, text);
        judge_settled(client, owned, 0, "at the end");
    }
    int64_t until = world_clock_us(life.now) + QUIET_US;
    for (size_t node = 0; node < NODES_ALL;) {
        client_close(client);
        must_query(client, node, "select tusk_saga_joined()");
        if (client_int(client, 0, 0) == 0) {
            node++;
        } else if (world_clock_us(life.now) > until) {
            sim_fail("node %s keeps %s sagas", names[node], client_value(client, 0, 0));
        } else {
            task_sleep(client->task, LOOK_US);
        }
    }
    client_close(client);
}

/* The fourth node comes, gets buckets, and is drained. */
static void
nodes_once(struct client *client)
{
    char text[96];
    switch (kept_draw(5)) {
    case 0:
    case 1:
        (void)snprintf(
            text, sizeof text, "alter cluster add node n4 '127.0.0.1:%d'", FIRST_PORT + NODES);
        change(client, text);
        break;
    case 2:
        change(client, "alter cluster drain node n4");
        break;
    case 3:
        (void)snprintf(
            text, sizeof text, "alter cluster drain node n%u", 1 + (unsigned)kept_draw(NODES));
        change(client, text);
        break;
    default:
        change(client, "alter cluster rebalance");
        break;
    }
    task_sleep(client->task, (int64_t)kept_draw(200000));
}

/* Ranges are split and moved; all days are there for every reader. */
static void
days_once(struct client *client)
{
    char text[96];
    if (kept_one_in(8) && ledger->splits < SPLITS_MAX) {
        ledger->splits++;
        (void)snprintf(
            text, sizeof text, "alter table days split at (%u)", 1 + (unsigned)kept_draw(DAYS));
        change(client, text);
    } else if (kept_one_in(4)) {
        (void)snprintf(text, sizeof text, "alter table days move bucket %u to n%u",
            (unsigned)kept_draw(4), 1 + (unsigned)kept_draw(NODES));
        change(client, text);
    } else if (try_query(client, "select count(*), count(distinct day), sum(day) from days")) {
        if (client_int(client, 0, 0) != DAYS || client_int(client, 0, 1) != DAYS ||
            client_int(client, 0, 2) != DAYS * (DAYS + 1) / 2) {
            sim_fail("%s: %s days, %s of them different, sum %s", client->name,
                client_value(client, 0, 0), client_value(client, 0, 1), client_value(client, 0, 2));
        }
        cuts_read++;
    }
    roll_back(client);
    task_sleep(client->task, (int64_t)kept_draw(50000));
}

struct actor {
    const char *name;
    void (*step)(struct client *client);
};
static const struct actor actors[] = {{"writer1", write_once}, {"writer2", write_once},
    {"writer3", write_once}, {"saga1", start_saga}, {"saga2", start_saga}, {"owner1", shift_first},
    {"owner2", shift_second}, {"saga3", start_in_block}, {"saga4", start_in_block},
    {"mover1", move_once}, {"mover2", move_once}, {"reader", look_once}, {"clock", raise_once},
    {"slow reader", cut_once}, {"copies1", raise_copy}, {"copies2", raise_copy},
    {"copies3", look_at_copies}, {"nodes", nodes_once}, {"days", days_once}};

static void
actor_main(struct task *task, void *arg)
{
    const struct actor *actor = arg;
    struct client *client = mem_zalloc(sizeof *client);
    client_create(client, task, actor->name);
    for (unsigned i = 0; i < life.steps; i++) {
        if (client->socket != NULL && kept_one_in(8)) {
            client_close(client); /* to the other router, perhaps */
        }
        need_connection(client, FIRST_ROUTER + kept_draw(ROUTERS));
        actor->step(client);
        roll_back(client);
    }
    client_destroy(client);
    mem_free(client);
    clients_left--;
    task_unpark(lead_task);
}

/* ---- trouble --------------------------------------------------------------------------------- */

enum trouble {
    TROUBLE_KILL = 1,
    TROUBLE_STOP = 2,
    TROUBLE_PART = 4,
    TROUBLE_DENY = 8,
    TROUBLE_WALL = 16,
    TROUBLE_KINDS = 5,
};

static unsigned
process_of(size_t server)
{
    return (unsigned)server + 1; /* 0: clients */
}

static void
start_server(size_t server)
{
    struct diag diag;
    enum err err = world_sim_spawn(
        life.now, process_of(server), names[server], server_main, &servers[server], &diag);
    ASSERT(err == ERR_OK);
}

/* One thing goes wrong for a while, often for longer than leases last. */
static void
trouble_once(struct task *task, enum trouble what)
{
    size_t victim = kept_draw(SERVERS), other = kept_draw(NODES_ALL);
    int64_t for_us = kept_one_in(3) ? 3500000 : (int64_t)kept_draw(300000);
    unsigned process = process_of(victim);
    switch (what) {
    case TROUBLE_KILL:
        sim_tell("%s is killed", names[victim]);
        world_sim_kill(life.now, process);
        task_sleep(task, for_us / 4);
        start_server(victim);
        break;
    case TROUBLE_STOP:
        sim_tell("%s stops for %lld us", names[victim], (long long)for_us);
        world_sim_stop(life.now, process);
        task_sleep(task, for_us);
        world_sim_continue(life.now, process);
        break;
    case TROUBLE_PART:
        victim = FIRST_ROUTER + kept_draw(ROUTERS);
        sim_tell("%s and %s are apart for %lld us", names[victim], names[other], (long long)for_us);
        world_sim_part(life.now, process_of(victim), process_of(other), true);
        task_sleep(task, for_us);
        world_sim_part(life.now, process_of(victim), process_of(other), false);
        break;
    case TROUBLE_DENY:
        victim = FIRST_ROUTER + kept_draw(ROUTERS);
        sim_tell("%s has no control store for %lld us", names[victim], (long long)for_us);
        world_sim_deny(life.now, process_of(victim), "ctl");
        task_sleep(task, for_us);
        world_sim_deny(life.now, process_of(victim), NULL);
        break;
    default:
        world_sim_set_wall(life.now, process, (int64_t)kept_draw(4000000) - 2000000);
        break;
    }
}

static void
chaos_main(struct task *task, void *arg)
{
    (void)arg;
    while (!chaos_ends) {
        enum trouble what = (enum trouble)(1 << kept_draw(TROUBLE_KINDS));
        task_sleep(task, (int64_t)kept_draw(400000));
        if ((chaos & what) != 0 && !chaos_ends) {
            trouble_once(task, what);
        }
    }
    chaos_ended = true;
    task_unpark(lead_task);
}

/* ---- what must hold at the end --------------------------------------------------------------- */

static void
check_control(enum err err, const struct diag *diag)
{
    if (err != ERR_OK) {
        sim_fail("the control store: %s", diag->message);
    }
}

/* The map there says what the nodes say, if there has been a move. */
static void
verify_map(struct task *task, const uint8_t owner[BUCKETS])
{
    struct arena arena;
    struct diag diag;
    struct ctl *ctl;
    struct ctl_entry entry;
    struct shard_map map;
    arena_create(&arena, "map");
    check_control(ctl_open(task, "file:ctl", &ctl, &diag), &diag);
    check_control(ctl_get(task, ctl, SHARD_MAP_KEY, &arena, &entry, &diag), &diag);
    check_control(shard_map_parse(&arena, entry.value, &map, &diag), &diag);
    ctl_close(task, ctl);
    const struct shard_map_group *group = shard_map_group(&map, "public.acc");
    for (uint32_t bucket = 0; group != NULL && bucket < BUCKETS; bucket++) {
        const char *name = "nobody"; /* between two looks of DROP NODE a bucket had come */
        if (group->owners[bucket] >= 0) {
            name = map.nodes[group->owners[bucket]].name;
        }
        if (group->owners[bucket] >= 0 && strcmp(name, names[owner[bucket] - 1]) != 0) {
            sim_fail("the map says that bucket %u is on %s, and it is on %s", bucket, name,
                names[owner[bucket] - 1]);
        }
    }
    arena_destroy(&arena);
}

/* No move stands in the control store: the first router ends what was left. */
static void
wait_for_quiet(struct client *client)
{
    int64_t until = world_clock_us(life.now) + QUIET_US;
    struct arena arena;
    arena_create(&arena, "moves");
    for (size_t count = 1; count > 0;) {
        struct diag diag;
        struct ctl *ctl;
        struct ctl_entry *entries;
        enum err err = ctl_open(client->task, "file:ctl", &ctl, &diag);
        if (err == ERR_OK) {
            err = ctl_list(client->task, ctl, SHARD_MOVES_PREFIX, &arena, &entries, &count, &diag);
            ctl_close(client->task, ctl);
        }
        check_control(err, &diag);
        if (count > 0 && world_clock_us(life.now) > until) {
            sim_fail("a move does not end");
        }
        task_sleep(client->task, LOOK_US);
    }
    arena_destroy(&arena);
}

/* Has it the tables? Not so the fourth before it has come for the first time. */
static bool
knows(struct client *client, size_t node)
{
    must_query(client, node, "select count(*) from pg_tables where tablename = 'days'");
    return client_int(client, 0, 0) == 1;
}

static void
verify(struct client *client)
{
    static uint8_t at[ROWS + 1], owner[BUCKETS];
    static uint32_t value[ROWS + 1];
    static uint8_t found[TRANSFERS_MAX];
    int64_t days = 0;
    memset(at, 0, sizeof at);
    memset(owner, 0, sizeof owner);
    memset(found, 0, sizeof found);
    wait_for_quiet(client);
    for (size_t node = 0; node < NODES_ALL; node++) {
        client_close(client);
        if (!knows(client, node)) {
            continue;
        }
        must_query(client, node,
            "select bucket from tusk_buckets where state = 'owned' and "
            "bucketgroup = 'public.acc'");
        for (uint32_t i = 0; i < client->rows; i++) {
            int64_t bucket = client_int(client, i, 0);
            if (owner[bucket] != 0) {
                sim_fail("bucket %lld has two owners", (long long)bucket);
            }
            owner[bucket] = (uint8_t)(node + 1);
        }
        must_query(client, node, "select id, v, tusk_bucket('acc', id::text) from acc");
        for (uint32_t i = 0; i < client->rows; i++) {
            int64_t row = client_int(client, i, 0);
            if (at[row] != 0 || owner[client_int(client, i, 2)] != node + 1) {
                sim_fail("row %lld is on %s, and its bucket is on node %u, and it was on %u",
                    (long long)row, names[node], owner[client_int(client, i, 2)], at[row]);
            }
            at[row] = (uint8_t)(node + 1);
            value[row] = (uint32_t)client_int(client, i, 1);
        }
        must_query(client, node, "select id, n from log");
        for (uint32_t i = 0; i < client->rows; i++) {
            int64_t row = client_int(client, i, 0), number = client_int(client, i, 1);
            if (at[row] != node + 1 || found[number] || ledger->row[number] != row) {
                sim_fail("log row %lld of row %lld is on %s", (long long)number, (long long)row,
                    names[node]);
            }
            found[number] = 1;
        }
        must_query(client, node, "select count(*) from days");
        days += client_int(client, 0, 0);
    }
    if (days != DAYS) {
        sim_fail("%lld days of %d", (long long)days, DAYS);
    }
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
        if (owner[bucket] == 0) {
            sim_fail("bucket %u has no owner", bucket);
        }
    }
    verify_map(client->task, owner);
    uint32_t count[ROWS + 1] = {0};
    for (uint32_t i = 0; i < ledger->next; i++) {
        count[ledger->row[i]] += found[i];
        if (found[i] ? ledger->fate[i] == FATE_FAILED : ledger->fate[i] == FATE_DONE) {
            sim_fail("change %u of row %u %s", i, ledger->row[i],
                found[i] ? "has failed and is there" : "was acknowledged and is lost");
        }
        if (ledger->fate[i] == FATE_SENT) { /* known from now on */
            ledger->fate[i] = found[i] ? FATE_DONE : FATE_FAILED;
        }
    }
    for (uint32_t row = 1; row <= ROWS; row++) {
        if (at[row] == 0 || value[row] != count[row]) {
            sim_fail("row %u is %s: %u, %u log rows", row, at[row] == 0 ? "lost" : "wrong",
                value[row], count[row]);
        }
    }
}

static void
verify_copies(struct client *client)
{
    int64_t until = world_clock_us(life.now) + QUIET_US;
    int64_t seen[NODES][COPIES + 1];
    for (bool equal = false; !equal; task_sleep(client->task, LOOK_US)) {
        equal = true;
        for (size_t node = 0; node < NODES; node++) {
            client_close(client);
            must_query(client, node,
                "select k, v, (select tusk_replicated_version()) from rep order by k");
            for (uint32_t i = 0; i < client->rows && i < COPIES; i++) {
                seen[node][i] = client_int(client, i, 1);
                seen[node][COPIES] = client_int(client, i, 2);
            }
            equal =
                equal && client->rows == COPIES && memcmp(seen[node], seen[0], sizeof seen[0]) == 0;
        }
        if (!equal && world_clock_us(life.now) > until) {
            sim_fail("copies of a replicated table differ");
        }
    }
    for (uint32_t i = 0; i < COPIES; i++) {
        int64_t sure = ledger->raised[i] + ledger->partly[i];
        if (seen[0][i] < sure || seen[0][i] > sure + ledger->unknown[i]) {
            sim_fail("replicated row %u is %lld: raised by %lld, and %lld not known", i,
                (long long)seen[0][i], (long long)sure, (long long)ledger->unknown[i]);
        }
        ledger->raised[i] = seen[0][i]; /* known from now on */
        ledger->partly[i] = ledger->unknown[i] = 0;
    }
}

/* What was begun in blocks is not asked for again: that would begin it. All with effects 3 that
 * must have them, or until nothing more is to be expected. */
static void
wait_for_blocks(struct client *client)
{
    static bool seen[SAGAS_MAX];
    static uint8_t effects[SAGAS_MAX];
    int64_t until = world_clock_us(life.now) + QUIET_US;
    memset(seen, 0, sizeof seen);
    must_query(client, FIRST_ROUTER, "select distinct saga from sw");
    for (uint32_t i = 0; i < client->rows; i++) {
        seen[client_int(client, i, 0)] = true;
    }
    for (bool all = false; !all;) {
        memset(effects, 0, sizeof effects);
        must_query(client, FIRST_ROUTER, "select saga, effect from slog");
        for (uint32_t i = 0; i < client->rows; i++) {
            effects[client_int(client, i, 0)] |= (uint8_t)client_int(client, i, 1);
        }
        all = true;
        for (uint32_t id = 0; id < ledger->sagas; id++) {
            bool wanted = seen[id] && ledger->saga[id].bad == 0;
            if (!ledger->saga[id].in_block) {
                continue;
            }
            if (seen[id] ? ledger->saga[id].fate == FATE_FAILED
                         : ledger->saga[id].fate == FATE_DONE) {
                sim_fail("the block of saga %u %s", id,
                    seen[id] ? "has failed and is there" : "was acknowledged and is lost");
            }
            if (!seen[id] && effects[id] != 0) {
                sim_fail("saga %u has effects, and its block is not there", id);
            }
            if (wanted && effects[id] != 3 && world_clock_us(life.now) > until) {
                sim_fail("saga %u of a block does not begin, or end", id);
            }
            all &= !wanted || effects[id] == 3;
        }
        task_sleep(client->task, LOOK_US);
    }
    for (uint32_t id = 0; id < ledger->sagas; id++) { /* the others' keys may be used */
        ledger->saga[id].fate = seen[id] ? FATE_DONE : FATE_FAILED;
    }
}

/* Ended: the answer is there. Paused ones go on. */
static void
end_saga(struct client *client, uint32_t id)
{
    char text[160], resume[64];
    for (;;) {
        saga_text(id, true, text, sizeof text);
        must_query(client, FIRST_ROUTER, text);
        if (!ledger->saga[id].in_block) { /* the others' number may have been another's */
            note_saga(client, id);
        }
        const char *state = client_value(client, 0, 1);
        if (strcmp(state, "paused") != 0 || !ledger->saga[id].touched) {
            return;
        }
        (void)snprintf(resume, sizeof resume, "alter saga instance %lld resume",
            (long long)client_int(client, 0, 0));
        (void)try_query(client, resume);
        roll_back(client);
        need_connection(client, FIRST_ROUTER);
    }
}

/* All are asked for again and end, the last time: with all their effects or with none, but for
 * steps that were skipped. (Views that list sagas cannot be asked: there is one set of them in a
 * process, the routers'.) */
static void
verify_sagas(struct client *client)
{
    static bool done[SAGAS_MAX], timely[SAGAS_MAX];
    static uint8_t effects[SAGAS_MAX];
    memset(effects, 0, sizeof effects);
    client_close(client);
    wait_for_blocks(client);
    for (uint32_t id = 0; id < ledger->sagas; id++) {
        if (ledger->saga[id].in_block && ledger->saga[id].fate != FATE_DONE) {
            done[id] = false;
            continue;
        }
        end_saga(client, id);
        const char *state = client_value(client, 0, 1), *error = client_value(client, 0, 2);
        uint8_t bad = ledger->saga[id].bad;
        const uint8_t *skips = ledger->saga[id].skips;
        done[id] = strcmp(state, "completed") == 0;
        timely[id] = error == NULL || strncmp(error, "57014", 5) != 0;
        bool may_end = !bad || (bad == 1 ? skips[1] : skips[0]) > 0;
        bool may_not = bad || ledger->saga[id].touched;
        if (done[id] ? !may_end : strcmp(state, "compensated") != 0 || !may_not) {
            sim_fail("saga %u is %s: %s", id, state, error == NULL ? "" : error);
        }
        if (!done[id] && !ledger->saga[id].touched && timely[id] == (bad == 2)) {
            sim_fail("saga %u was taken back for %s", id, error == NULL ? "" : error);
        }
    }
    must_query(client, FIRST_ROUTER, "select saga, effect, n from slog");
    for (uint32_t i = 0; i < client->rows; i++) {
        int64_t id = client_int(client, i, 0), effect = client_int(client, i, 1);
        if (id >= ledger->sagas || client_int(client, i, 2) != 0) {
            sim_fail("effect %lld of saga %lld is there twice", (long long)effect, (long long)id);
        }
        effects[id] |= (uint8_t)effect;
    }
    int64_t sum = 0;
    for (uint32_t id = 0; id < ledger->sagas; id++) {
        uint8_t skipped = (uint8_t)((ledger->saga[id].skips[0] > 0 ? 1 : 0) |
                                    (ledger->saga[id].skips[1] > 0 ? 2 : 0));
        if (((effects[id] ^ (done[id] ? 3 : 0)) & ~skipped) != 0) {
            sim_fail("saga %u is %s and has effects %u", id, done[id] ? "completed" : "compensated",
                effects[id]);
        }
        sum += (effects[id] >> 1 & 1) - (effects[id] & 1);
    }
    must_query(client, FIRST_ROUTER, "select sum(v) from sacc");
    if (client_int(client, 0, 0) != sum) {
        sim_fail("all sagas have ended, and the sum is %s", client_value(client, 0, 0));
    }
}

/* When all have ended they are forgotten: rows of the log but epochs, and records, are on no node.
 */
static void
verify_forgotten(struct client *client)
{
    int64_t until = world_clock_us(life.now) + QUIET_US;
    char table[64], text[256];
    for (size_t node = 0; node < NODES_ALL; node++) { /* any may be a saga's home */
        client_close(client);
        /* Nodes whose clocks are further apart than half of it refuse each other's orders. */
        must_query(client, node,
            trouble ? "alter system set tusk.saga_history = '60s'"
                    : "alter system set tusk.saga_history = '1s'");
        must_query(client, node, "select pg_reload_conf()");
    }
    client_close(client);
    must_query(client, NODES - 1,
        "select relname from pg_class where relname like 'steps!_%' escape '!' and relkind = 'r'");
    (void)snprintf(table, sizeof table, "%s", client_value(client, 0, 0));
    (void)snprintf(text, sizeof text,
        "select (select count(*) from tusk_cluster.sagas where get_byte(tusk_id, 0) <> %d), "
        "(select count(*) from tusk_cluster.%s)",
        (int)CATALOG_TREE_SAGA_EPOCHS, table);
    for (size_t node = 0; node < NODES;) {
        client_close(client);
        must_query(client, node, text);
        if (client_int(client, 0, 0) == 0 && client_int(client, 0, 1) == 0) {
            node++;
        } else if (world_clock_us(life.now) > until) {
            sim_fail("%s still has %lld rows of sagas' log and %lld records", names[node],
                (long long)client_int(client, 0, 0), (long long)client_int(client, 0, 1));
        } else {
            task_sleep(client->task, 10 * LOOK_US);
        }
    }
}

/* ---- a life ---------------------------------------------------------------------------------- */

static void
set_up(struct client *client)
{
    must_query(client, FIRST_ROUTER,
        "create table acc (id int primary key, v int not null, w text) shard by hash (id) buckets "
        "6");
    must_query(client, FIRST_ROUTER, "create index on acc (v)");
    must_query(
        client, FIRST_ROUTER, "create table rep (k int primary key, v int not null) replicated");
    must_query(client, FIRST_ROUTER, "insert into rep values (0, 0), (1, 0), (2, 0)");
    must_query(client, FIRST_ROUTER,
        "create table log (id int, n int, primary key (id, n)) shard by hash (id) buckets 6 "
        "colocate with acc");
    must_query(client, FIRST_ROUTER,
        "create table sacc (id int primary key, v int not null) shard by hash (id) buckets 6 "
        "colocate with acc");
    must_query(client, FIRST_ROUTER,
        "create table slog (id int, saga int, effect int, n bigint, primary key (id, saga, effect, "
        "n)) shard by hash (id) buckets 6 colocate with acc");
    must_query(client, FIRST_ROUTER,
        "create saga pass (p_id int, p_from int, p_to int, p_bad int) "
        "step take on sacc (id => p_from) do $$ insert into slog select p_from, p_id, 1, count(*) "
        "from slog where id = p_from and saga = p_id and effect = 1; "
        "update sacc set v = v - 1 where id = p_from $$ undo auto expect rows "
        "step give on sacc (id => p_to) do $$ insert into slog select p_to, p_id, 2, count(*) "
        "from slog where id = p_to and saga = p_id and effect = 2; "
        "update sacc set v = v + 1 where id = p_to and p_bad = 0 $$ expect rows pivot");
    must_query(client, FIRST_ROUTER,
        "create table owned (id int primary key, v int not null, w int) shard by hash (id) buckets "
        "6 colocate with acc");
    must_query(client, FIRST_ROUTER,
        "create saga shift (p_from int, p_to int, p_bad int) "
        "step take on owned (id => p_from) do $$ update owned set v = v - 1 where id = p_from $$ "
        "undo auto expect rows "
        "step give on owned (id => p_to) do $$ update owned set v = v + 1 where id = p_to $$ "
        "undo auto expect rows "
        "step decide on owned (id => p_from) do $$ update owned set w = 1 / (1 - p_bad) where id = "
        "p_from $$ pivot "
        "step note on owned (id => p_to) do $$ update owned set w = 2 where id = p_to $$ "
        "retriable");
    for (int row = 1; row <= OWNERS * OWNED_ROWS; row++) {
        char text[96];
        (void)snprintf(text, sizeof text, "insert into owned values (%d, 0, 0)", row);
        must_query(client, FIRST_ROUTER, text);
    }
    must_query(
        client, FIRST_ROUTER, "create table days (day int primary key) shard by range (day) (20)");
    for (int day = 1; day <= DAYS; day++) {
        char text[96];
        (void)snprintf(text, sizeof text, "insert into days values (%d)", day);
        must_query(client, FIRST_ROUTER, text);
    }
    must_query(client, FIRST_ROUTER,
        "create table sw (id int, saga int, primary key (id, saga)) shard by hash (id) buckets 6 "
        "colocate with acc");
    must_query(client, FIRST_ROUTER,
        "create saga late (p_id int, p_from int, p_to int, p_bad int) timeout '300ms' "
        "step take on sacc (id => p_from) do $$ select pg_sleep(10) $$ undo auto "
        "retry 1000000 backoff '1ms' to '20ms' timeout '5ms' "
        "step give on sacc (id => p_to) do $$ insert into slog select p_to, p_id, 2, count(*) "
        "from slog where id = p_to and saga = p_id and effect = 2; "
        "update sacc set v = v + 1 where id = p_to $$ pivot");
    for (int row = 1; row <= ROWS; row++) {
        char text[96];
        (void)snprintf(text, sizeof text, "insert into acc values (%d, 0, 'w')", row);
        must_query(client, FIRST_ROUTER, text);
        (void)snprintf(text, sizeof text, "insert into sacc values (%d, 0)", row);
        must_query(client, FIRST_ROUTER, text);
    }
}

static void
lead_main(struct task *task, void *arg)
{
    (void)arg;
    lead_task = task;
    struct client *client = mem_zalloc(sizeof *client);
    client_create(client, task, "lead");
    if (kept->template) {
        set_up(client);
        client_close(client);
        need_connection(client, FIRST_ROUTER + 1);
        kept->set_up = true;
        world_sim_crash(task, "the template is made");
    }
    if (life.last || kept_one_in(2)) {
        verify(client);
        verify_copies(client);
    }
    for (size_t i = 0; i < sizeof actors / sizeof actors[0]; i++) {
        struct diag diag;
        if (!trouble && (actors[i].step == nodes_once || actors[i].step == days_once)) {
            continue;
        }
        clients_left++;
        enum err err = task_spawn(life.now, WORLD_ANY_WORKER, actors[i].name, actor_main,
            (void *)(uintptr_t)&actors[i], &diag);
        ASSERT(err == ERR_OK);
    }
    if (chaos != 0) {
        struct diag diag;
        enum err err = task_spawn(life.now, WORLD_ANY_WORKER, "chaos", chaos_main, NULL, &diag);
        ASSERT(err == ERR_OK);
    }
    while (clients_left > 0) {
        task_park(task, WORLD_NEVER);
    }
    chaos_ends = true;
    while (chaos != 0 && !chaos_ended) {
        task_park(task, WORLD_NEVER);
    }
    verify(client);
    verify_copies(client);
    verify_sagas(client);
    verify_settled(client);
    if (life.last) { /* their keys may be used up to here */
        verify_forgotten(client);
    }
    world_sim_crash(task, "all was looked at");
}

static _Noreturn void
run_life_here(void)
{
    struct diag diag;
    uint64_t seed = hash_u64(kept->chance ^ (life.number + 1));
    life.now = world_sim_new(seed, &life.world);
    for (size_t i = 0; i < SERVERS; i++) {
        servers[i] = (struct server_options){
            .data_directory = names[i],
            .wal_segment_size = 64 << 10,
            .checkpoint_wal_size = 64 << 10,
            .system_user = "sim",
        };
        start_server(i);
    }
    enum err err = task_spawn(life.now, WORLD_ANY_WORKER, "lead", lead_main, NULL, &diag);
    ASSERT(err == ERR_OK);
    world_run(life.now);
    const char *crashed = world_sim_crashed(life.now);
    sim_tell("the end of life %u: %s; %llu moves, %llu cuts, %llu refusals, %llu settled reads, "
             "%llu not known",
        life.number, crashed == NULL ? "nothing can happen any more" : crashed,
        (unsigned long long)moves_done, (unsigned long long)cuts_read,
        (unsigned long long)refusals_met, (unsigned long long)settled_read,
        (unsigned long long)settled_refused);
    if (crashed == NULL) {
        sim_fail("nothing can happen any more");
    }
    struct buffer disk = {0};
    world_sim_disk(life.now, life.end, &disk);
    memcpy(kept->disk, disk.data, disk.size);
    kept->disk_size = disk.size;
    kept->ios += world_sim_io_count(life.now);
    kept->clock_us += world_sim_now_us(life.now) + 1000;
    kept->trace = hash_u64(kept->trace ^ world_trace_hash(life.now));
    kept->trace = hash_u64(kept->trace ^ hash64(disk.data, disk.size, 0));
    _exit(0);
}

static bool
run_life(void)
{
    (void)fflush(NULL);
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child == 0) {
        (void)alarm(LIFE_SECONDS_MAX);
        run_life_here();
    }
    int status = 0;
    ASSERT(waitpid(child, &status, 0) == child);
    if (status != 0 && kept->failure[0] == '\0') {
        (void)snprintf(kept->failure, sizeof kept->failure, "the process ended: %s %d",
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    return kept->failure[0] == '\0';
}

/* ---- runs ------------------------------------------------------------------------------------ */

static bool
run_seed(uint64_t seed)
{
    kept_reset(seed);
    ledger = kept_alloc(sizeof *ledger);
    memcpy(kept->disk, template.data, template.size);
    kept->disk_size = template.size;
    unsigned lives = 2 + (unsigned)kept_draw(3);
    bool cuts = kept_one_in(3);
    unsigned workers = 1 + (unsigned)kept_draw(4);
    for (unsigned number = 0; number < lives; number++) {
        life = (struct life){.number = number, .last = number + 1 == lives};
        life.world = (struct world_sim_options){
            .quiet = !sim_verbose,
            .worker_count = workers,
            .delay_us_max = kept_one_in(4) ? 20 : 200,
            .disk_us_max = kept_one_in(3) ? 6000 : 0,
            .disk = slice_of(kept->disk, kept->disk_size),
        };
        life.steps = 6 + (unsigned)kept_draw(20);
        chaos = trouble && kept_one_in(2) ? (unsigned)kept_draw(1 << TROUBLE_KINDS) : 0;
        life.end = kept_one_in(4) ? WORLD_SIM_KILLED : WORLD_SIM_POWER_CUT;
        if (!life.last) {
            life.world.faults.cut = cuts ? 300 + (uint32_t)kept_draw(3000) : 0;
            if (kept_one_in(2)) {
                life.world.crash_at_us = (int64_t)kept_draw(8000000) + 1;
            } else {
                life.world.crash_at_io = kept_draw(2500) + 1;
            }
        }
        if (!run_life()) {
            return false;
        }
    }
    return true;
}

static void
make_template(void)
{
    kept_reset(0);
    kept->template = true;
    life = (struct life){.end = WORLD_SIM_KILLED};
    life.world = (struct world_sim_options){.quiet = !sim_verbose, .worker_count = 1};
    if (!run_life() || !kept->set_up) {
        (void)fprintf(stderr, "could not make the first cluster: %s\n", kept->failure);
        exit(2);
    }
    buffer_add(&template, kept->disk, kept->disk_size);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'c'}, {"once", no_argument, NULL, 'o'},
        {"verbose", no_argument, NULL, 'v'}, {"trouble", no_argument, NULL, 't'},
        {NULL, 0, NULL, 0}};
    uint64_t seed = 1, count = 1, statements = 0, commits = 0, unknown = 0, ios = 0;
    bool once = false;
    int option = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            seed = strtoull(optarg, NULL, 10);
            break;
        case 'c':
            count = strtoull(optarg, NULL, 10);
            break;
        case 'o':
            once = true;
            break;
        case 't':
            trouble = true;
            break;
        case 'v':
            sim_verbose = once = true;
            break;
        default:
            return 2;
        }
    }
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    kept_create();
    make_template();
    for (uint64_t i = 0; i < count; i++) {
        bool good = run_seed(seed + i);
        uint64_t trace = kept->trace;
        statements += kept->statements;
        commits += kept->commits;
        unknown += kept->unknown;
        ios += kept->ios;
        if (good && !once) {
            good = run_seed(seed + i);
        }
        if (!good || trace != kept->trace) {
            (void)printf("seed %llu failed: %s\nrepeat: %s --seed %llu --verbose\n",
                (unsigned long long)(seed + i), good ? "two runs differ" : kept->failure, argv[0],
                (unsigned long long)(seed + i));
            return 1;
        }
    }
    (void)printf("%llu seeds: %llu statements, %llu commits, %llu of unknown outcome, %llu file "
                 "operations\n",
        (unsigned long long)count, (unsigned long long)statements, (unsigned long long)commits,
        (unsigned long long)unknown, (unsigned long long)ios);
    return 0;
}
