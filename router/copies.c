/*
 * router/copies.c - changes of replicated tables on their way from the first node to all others
 * (sql/catalog/replicated.h, RP1-RP5, says what nodes do).
 *
 * A change is committed on the first node, whose commit says which number it has in the list. A
 * task for each other node, the bearer, brings that node to the newest number that is known here:
 * the entries in their order, and where a mark stands the change of the schema (cluster.c). So
 *
 *   RR1. a node's replicated tables and its schema go through the first node's states, one after
 *        the other, and through no others;
 *   RR2. a change is answered to its client when all nodes have it. Whoever reads afterwards,
 *        through any router, at any node, sees it: that needs no number. If a node does not get it
 *        in router_replicated_timeout the client gets TR007, which says that the change is
 *        committed, its number, and which node is behind;
 *   RR3. a number that this router knows is never taken back: it is the largest that a commit, a
 *        node's answer or the list has said. Statements carry it (RP5), so what one statement
 *        through this router has seen the next one sees, also of a change that was not answered;
 *   RR4. doing it twice does nothing (RP4), so any number of routers may. Who finds a node behind
 *        has its bearer look at once, and tries again;
 *   RR5. entries that all nodes have are removed, by whom has just heard so of all nodes, if the
 *        first node's list of nodes is still of that length in the same statement, those that have
 *        left and those that have not: a node that came meanwhile (nodes.c, N1), perhaps for
 *        another, came with a number that is not below what the others had.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/latch.h"
#include "base/mem.h"
#include "router/router.h"

enum {
    ANSWER_TIMEOUT_US = 15 * 1000 * 1000, /* else the connection is given up */
    PAUSE_MIN_US = 20 * 1000,             /* after a failure; doubles */
    PAUSE_MAX_US = 500 * 1000,
    IDLE_US = 60 * 1000 * 1000,
    STOP_PAUSE_US = 10 * 1000,
};

struct bearer {
    struct router *router;
    uint32_t node;
    struct task *task;         /* NULL: there is none; under the latch */
    _Atomic uint64_t reached;  /* the node has it, as it has said itself */
    _Atomic uint64_t attempts; /* that have ended */
    _Atomic bool look;         /* at the node, whatever `reached` says */
    char failure[DIAG_TEXT_MAX];
};

struct waiter {
    struct list_node node;
    struct task *task;
};

struct copies {
    struct router *router;
    _Atomic uint64_t newest; /* RR3 */
    _Atomic bool closing;
    _Atomic uint32_t alive;
    uint32_t bearer_count;
    uint64_t forgotten;
    struct latch latch;
    struct list_node waiters; /* under the latch; so is what follows, but for what is atomic */
    struct bearer bearers[ROUTER_NODES_MAX];
};

uint64_t
copies_known(const struct router *router)
{
    return router->copies == NULL ? 0 : router->copies->newest;
}

static void
wake_bearers(struct copies *copies)
{
    latch_acquire(&copies->latch);
    for (uint32_t i = 0; i < ROUTER_NODES_MAX; i++) {
        if (copies->bearers[i].task != NULL) {
            task_unpark(copies->bearers[i].task);
        }
    }
    latch_release(&copies->latch);
}

void
copies_note(struct router *router, uint64_t version)
{
    struct copies *copies = router->copies;
    if (copies == NULL) {
        return;
    }
    uint64_t known = copies->newest;
    while (known < version && !atomic_compare_exchange_weak(&copies->newest, &known, version)) {
    }
    if (known < version) {
        wake_bearers(copies);
    }
}

void
copies_note_words(struct router *router, const char *detail)
{
    const char *found = strstr(detail, "replicated=");
    if (found != NULL) {
        copies_note(router, strtoull(found + sizeof "replicated=" - 1, NULL, 10));
    }
}

/* ---- bringing a node up to date ----------------------------------------------------------------
 */

static enum err
read_bytes(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct buffer *bytes = arg;
    (void)diag;
    bytes->size = 0;
    if (count == 1 && values[0].data != NULL) {
        buffer_add(bytes, values[0].data, values[0].size);
    }
    return ERR_OK;
}

/* As bytea is written: \x and two digits a byte. "": there is none. */
static enum err
fetch_piece(struct task *task, struct router *router, uint64_t version, uint32_t piece,
    struct buffer *text, struct diag *diag)
{
    char query[96];
    (void)snprintf(query, sizeof query, "SELECT pg_catalog.tusk_replicated_entry(%llu, %u)",
        (unsigned long long)version, piece);
    TRY(cluster_at_node(task, router, 0, query, read_bytes, text, diag));
    return text->size == 0 || (text->size >= 4 && text->data[0] == '\\' && text->data[1] == 'x')
               ? ERR_OK
               : diag_set(diag, ERR_PROTOCOL, "the first node sent no change");
}

static uint8_t
digit(uint8_t c)
{
    return (uint8_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

static uint8_t
byte_at(const struct buffer *text, size_t at)
{
    return (uint8_t)(digit(text->data[2 + 2 * at]) << 4 | digit(text->data[3 + 2 * at]));
}

static enum err
number_at(struct task *task, struct upstream *upstream, const char *text, uint64_t *number,
    struct diag *diag)
{
    int64_t value = 0;
    TRY(node_query(task, upstream, text, cluster_read_number, &value, diag));
    *number = (uint64_t)value;
    return ERR_OK;
}

static const char read_number[] = "SELECT pg_catalog.tusk_replicated_version()";
static const char read_schema[] = "SELECT coalesce(max(version), 0) FROM tusk_cluster.ddl";

static void
set_deadline(const struct router *router, struct upstream *upstream)
{
    upstream->deadline_us = world_clock_us(router->world) + ANSWER_TIMEOUT_US;
}

/* All pieces of one entry; the first is in `text`. */
static enum err
apply_rows(struct task *task, struct router *router, struct upstream *upstream, uint64_t version,
    struct buffer *text, struct diag *diag)
{
    bool one = byte_at(text, 0) == 'E';
    enum err err = one ? ERR_OK : node_query(task, upstream, "BEGIN", NULL, NULL, diag);
    for (uint32_t piece = 0; err == ERR_OK; piece++) {
        struct buffer query = {0};
        buffer_printf(&query, "SELECT pg_catalog.tusk_replicated_apply(%llu, %u, '",
            (unsigned long long)version, piece);
        buffer_add(&query, text->data, text->size);
        buffer_add(&query, "')", 3); /* and the NUL */
        set_deadline(router, upstream);
        err = node_query(task, upstream, (const char *)query.data, NULL, NULL, diag);
        buffer_destroy(&query);
        if (err != ERR_OK || byte_at(text, 0) == 'E') {
            break;
        }
        err = fetch_piece(task, router, version, piece + 1, text, diag);
        if (err == ERR_OK && text->size == 0) {
            err = diag_set(diag, ERR_INTERNAL,
                "a piece of change %llu of replicated tables is "
                "missing",
                (unsigned long long)version);
        }
    }
    if (!one && err == ERR_OK) {
        err = node_query(task, upstream, "COMMIT", NULL, NULL, diag);
    } else if (!one && !upstream->broken) {
        struct diag ignored;
        (void)!node_query(task, upstream, "ROLLBACK", NULL, NULL, &ignored);
    }
    return err;
}

/* A mark: the schema's changes up to it. Those before that have no mark of their own are older than
 * the list. */
static enum err
pass_mark(struct task *task, struct router *router, struct upstream *upstream, uint64_t version,
    const struct buffer *text, uint64_t *schema, struct diag *diag)
{
    uint64_t marked = 0;
    upstream->deadline_us = 0; /* it takes what it takes there */
    for (size_t i = 1; i < 9 && 2 * i + 3 < text->size; i++) {
        marked = marked << 8 | byte_at(text, i);
    }
    for (; *schema < marked; ++*schema) {
        TRY(cluster_change_at(task, router, upstream, (int64_t)*schema + 1,
            *schema + 1 == marked ? (int64_t)version : CLUSTER_NO_MARK, diag));
        if (*schema + 1 == marked) {
            ++*schema;
            return ERR_OK;
        }
    }
    char query[96];
    (void)snprintf(query, sizeof query, "SELECT pg_catalog.tusk_replicated_mark(%llu, %llu)",
        (unsigned long long)version, (unsigned long long)marked);
    return node_query(task, upstream, query, NULL, NULL, diag);
}

/* RR1 */
enum err
copies_bring_on(struct task *task, struct router *router, struct upstream *upstream,
    uint64_t wanted, uint64_t *reached, struct diag *diag)
{
    uint64_t schema = 0;
    struct buffer text = {0};
    set_deadline(router, upstream);
    /* In this order: no mark that `reached` is behind is missing in `schema`. */
    TRY(number_at(task, upstream, read_number, reached, diag));
    enum err err = ERR_OK;
    if (*reached < wanted) {
        err = number_at(task, upstream, read_schema, &schema, diag);
    }
    while (err == ERR_OK && *reached < wanted) {
        err = fetch_piece(task, router, *reached + 1, 0, &text, diag);
        if (err == ERR_OK && text.size == 0) {
            err = diag_set(diag, ERR_INTERNAL,
                "change %llu of replicated tables is not in the first node's list",
                (unsigned long long)*reached + 1);
        } else if (err == ERR_OK) {
            err = byte_at(&text, 0) == 'M'
                      ? pass_mark(task, router, upstream, *reached + 1, &text, &schema, diag)
                      : apply_rows(task, router, upstream, *reached + 1, &text, diag);
        }
        *reached += err == ERR_OK;
    }
    upstream->deadline_us = 0;
    buffer_destroy(&text);
    return err;
}

/* Another may be at the same: what fails because of that has come about. */
enum err
copies_bring(struct task *task, struct router *router, uint32_t node, uint64_t wanted,
    uint64_t *reached, struct diag *diag)
{
    struct upstream *upstream = NULL;
    TRY(cluster_connect(task, router, node, &upstream, diag));
    enum err err;
    uint64_t before = 0;
    do {
        before = *reached;
        err = copies_bring_on(task, router, upstream, wanted, reached, diag);
        if (err != ERR_OK && !upstream->broken && upstream->status != 'I') {
            struct diag ignored;
            (void)!node_query(task, upstream, "ROLLBACK", NULL, NULL, &ignored);
        }
    } while (err != ERR_OK && !upstream->broken && *reached > before);
    pool_release(task, upstream);
    return err;
}

/* ---- bearers -----------------------------------------------------------------------------------
 */

static void
tell_waiters(struct copies *copies)
{
    latch_acquire(&copies->latch);
    LIST_FOREACH (node, &copies->waiters) {
        task_unpark(LIST_ENTRY(node, struct waiter, node)->task);
    }
    latch_release(&copies->latch);
}

static void
note_end(struct copies *copies, struct bearer *bearer, enum err err, uint64_t reached,
    const struct diag *diag)
{
    latch_acquire(&copies->latch);
    (void)snprintf(
        bearer->failure, sizeof bearer->failure, "%s", err == ERR_OK ? "" : diag->message);
    latch_release(&copies->latch);
    if (err == ERR_OK && reached > bearer->reached) {
        bearer->reached = reached;
    }
    bearer->attempts++;
    tell_waiters(copies);
}

static void
bear_main(struct task *task, void *arg)
{
    struct bearer *bearer = arg;
    struct router *router = bearer->router;
    struct copies *copies = router->copies;
    int64_t pause_us = PAUSE_MIN_US;
    latch_acquire(&copies->latch);
    bearer->task = task;
    latch_release(&copies->latch);
    while (!copies->closing && !router->nodes[bearer->node].dropped) {
        uint64_t wanted = copies->newest, reached = 0;
        if (bearer->reached >= wanted && !bearer->look) {
            task_park(task, world_clock_us(router->world) + IDLE_US);
            continue;
        }
        struct diag diag;
        diag_clear(&diag);
        bearer->look = false;
        enum err err = copies_bring(task, router, bearer->node, wanted, &reached, &diag);
        note_end(copies, bearer, err, reached, &diag);
        if (err == ERR_OK) {
            copies_note(router, reached);
            pause_us = PAUSE_MIN_US;
        } else {
            task_sleep(task, pause_us);
            pause_us = pause_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : pause_us * 2;
        }
    }
    latch_acquire(&copies->latch);
    bearer->task = NULL;
    latch_release(&copies->latch);
    tell_waiters(copies);
    copies->alive--;
}

void
copies_keep(struct task *task, struct router *router)
{
    struct copies *copies = router->copies;
    (void)task;
    while (!copies->closing && copies->bearer_count < router->node_count) {
        uint32_t node = copies->bearer_count;
        struct bearer *bearer = &copies->bearers[node];
        *bearer = (struct bearer){.router = router, .node = node};
        struct diag diag;
        copies->alive++;
        if (node > 0 && task_spawn(router->world, (int)(node % world_worker_count(router->world)),
                            "replicated tables", bear_main, bearer, &diag) != ERR_OK) {
            copies->alive--;
            return;
        }
        copies->alive -= node == 0; /* it has all */
        copies->bearer_count++;
    }
}

/* RR5 */
void
copies_forget(struct task *task, struct router *router)
{
    struct copies *copies = router->copies;
    uint64_t all = copies->newest;
    uint32_t count = router->node_count, living = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!router->nodes[i].dropped) {
            living++;
            if (i > 0 && copies->bearers[i].reached < all) {
                all = copies->bearers[i].reached;
            }
        }
    }
    if (all <= copies->forgotten || copies->bearer_count < count) {
        return;
    }
    char text[256];
    int64_t removed = 0;
    struct diag diag;
    (void)snprintf(text, sizeof text,
        "SELECT pg_catalog.tusk_replicated_forget(%llu) WHERE (SELECT count(*) FROM "
        "tusk_cluster.nodes WHERE NOT dropped) = %u AND (SELECT count(*) FROM "
        "tusk_cluster.nodes) = %u",
        (unsigned long long)all, living, count);
    if (cluster_at_node(task, router, 0, text, cluster_read_number, &removed, &diag) == ERR_OK &&
        removed == 0) {
        copies->forgotten = all; /* some thousands go at a time */
    }
}

/* ---- waiting for nodes -------------------------------------------------------------------------
 */

/* -1: all have it. */
static int
who_is_behind(const struct router *router, uint64_t version, int only)
{
    const struct copies *copies = router->copies;
    for (uint32_t i = 1; i < router->node_count; i++) {
        if ((only < 0 || only == (int)i) && !router->nodes[i].dropped &&
            copies->bearers[i].reached < version) {
            return (int)i;
        }
    }
    return -1;
}

/* Until that node, or (-1) every one, has said that it has the version; or the time is over. */
static int
wait_for(struct task *task, struct router *router, uint64_t version, int only, int64_t until_us)
{
    struct copies *copies = router->copies;
    struct waiter waiter = {.task = task};
    int behind = who_is_behind(router, version, only);
    if (behind < 0) {
        return -1;
    }
    latch_acquire(&copies->latch);
    list_push_back(&copies->waiters, &waiter.node);
    latch_release(&copies->latch);
    while ((behind = who_is_behind(router, version, only)) >= 0 && !copies->closing &&
           world_clock_us(router->world) < until_us && task_interrupted(task, NULL) == ERR_OK) {
        task_park(task, until_us);
    }
    latch_acquire(&copies->latch);
    list_remove(&waiter.node);
    latch_release(&copies->latch);
    return behind;
}

enum err
copies_spread(struct task *task, struct router *router, uint64_t version, struct diag *diag)
{
    struct copies *copies = router->copies;
    copies_note(router, version);
    int64_t until_us = world_clock_us(router->world) + router->limits.replicated_timeout_us;
    int behind = wait_for(task, router, version, -1, until_us);
    if (behind < 0) {
        return ERR_OK;
    }
    char failure[DIAG_TEXT_MAX];
    latch_acquire(&copies->latch);
    memcpy(failure, copies->bearers[behind].failure, sizeof failure);
    latch_release(&copies->latch);
    (void)diag_set(diag, ERR_REPLICATED_PARTLY,
        "the change is committed, and not on all nodes yet: node \"%s\" is behind",
        router->nodes[behind].name);
    diag_detail(diag, "It is version %llu of replicated tables%s%s", (unsigned long long)version,
        failure[0] == '\0' ? "." : "; ", failure);
    diag_hint(diag, "It comes there by itself, and before this router reads replicated tables "
                    "there: do not repeat it.");
    return ERR_REPLICATED_PARTLY;
}

void
copies_catch_up(struct task *task, struct router *router, int node)
{
    struct copies *copies = router->copies;
    int64_t until_us = world_clock_us(router->world) + router->limits.replicated_timeout_us / 10;
    for (uint32_t i = 1; i < router->node_count; i++) {
        if (node < 0 || node == (int)i) {
            copies->bearers[i].look |= copies->bearers[i].reached < copies->newest;
        }
    }
    wake_bearers(copies);
    (void)wait_for(task, router, copies->newest, node, until_us);
}

/* ---- life --------------------------------------------------------------------------------------
 */

void
copies_open(struct router *router)
{
    struct copies *copies = mem_zalloc(sizeof *copies);
    copies->router = router;
    list_init(&copies->waiters);
    router->copies = copies;
}

void
copies_close(struct task *task, struct router *router)
{
    struct copies *copies = router->copies;
    if (copies == NULL) {
        return;
    }
    copies->closing = true;
    while (copies->alive > 0) {
        wake_bearers(copies);
        task_park(task, world_clock_us(router->world) + STOP_PAUSE_US);
    }
    router->copies = NULL;
    mem_free(copies);
}
