/*
 * txn/deadlock.c - cycles among those who wait.
 *
 * Looked for at once whenever somebody goes to sleep, with all partitions latched. A cycle is
 * always closed by a transaction that blocks, so the one that just blocked is the victim, and
 * nobody else is part of an undetected cycle. Breadth first, each transaction once: no recursion.
 * If somebody in the cycle only stands in line behind another, letting him overtake may do instead.
 *
 * A waiter waits for the holders of conflicting modes, and for conflicting ones ahead of it in the
 * queue. Ten thousand tasks in one queue would make that quadratic; so a lock remembers up to which
 * ticket it has been looked through, and for which modes.
 */
#include "txn/txn_internal.h"

#include <stdio.h>

struct search {
    uint64_t visit;
    struct txn *last; /* of the queue linked by visit_next */
};

typedef void each_blocker(void *arg, struct txn *txn, struct txn *waiter);

static void
reach(void *arg, struct txn *txn, struct txn *from)
{
    struct search *search = arg;
    if (txn->visit == search->visit) {
        return;
    }
    txn->visit = search->visit;
    txn->visit_from = from;
    txn->visit_next = NULL;
    search->last->visit_next = txn;
    search->last = txn;
}

static void
holders(const struct lock_waiter *waiter, each_blocker *each, void *arg)
{
    const struct lock *lock = waiter->lock;
    if (lock->kind == LOCK_TXN) {
        each(arg, lock->owner, waiter->txn);
        return;
    }
    unsigned modes = lock__conflicts(lock->kind, waiter->mode);
    LIST_FOREACH (node, &lock->holds) {
        const struct hold *hold = LIST_ENTRY(node, struct hold, node);
        if (hold->txn != waiter->txn && ((waiter->own ? hold->firm : hold->modes) & modes) != 0) {
            each(arg, hold->txn, waiter->txn);
        }
    }
}

static void
those_ahead(const struct lock_waiter *waiter, each_blocker *each, void *arg)
{
    struct lock *lock = waiter->lock;
    unsigned modes = lock__conflicts(lock->kind, waiter->mode);
    if (lock->kind == LOCK_TXN || waiter->own) {
        return; /* T9: nobody in the queue comes before the writer */
    }
    for (struct list_node *node = lock->queue.next; node != &waiter->node; node = node->next) {
        const struct lock_waiter *ahead = LIST_ENTRY(node, struct lock_waiter, node);
        if (ahead->txn != waiter->txn && (1U << ahead->mode & modes) != 0) {
            each(arg, ahead->txn, waiter->txn);
        }
    }
}

void
deadlock__blockers(const struct lock_waiter *waiter, each_blocker *each, void *arg)
{
    holders(waiter, each, arg);
    those_ahead(waiter, each, arg);
}

static void
expand(struct search *search, const struct lock_waiter *waiter)
{
    struct lock *lock = waiter->lock;
    holders(waiter, reach, search);
    unsigned modes = lock__conflicts(lock->kind, waiter->mode);
    if (lock->visit == search->visit && waiter->ticket <= lock->visit_ticket &&
        (modes & ~lock->visit_modes) == 0) {
        return; /* everybody ahead has been reached */
    }
    if (!waiter->own) {
        lock->visit = search->visit;
        lock->visit_ticket = waiter->ticket;
        lock->visit_modes = modes;
    }
    those_ahead(waiter, reach, search);
}

/* ---- words ----------------------------------------------------------------------------------- */

enum {
    LINKS_MAX = 16, /* of a cycle that are told */
    KEY_KEPT_MAX = 96,
};

struct deadlock_link {
    uint32_t waiter, blocker; /* pids */
    enum lock_kind kind;
    unsigned mode;
    uint64_t object; /* LOCK_TXN: the id, 0: unknown */
    tree_id_t tree;  /* 0: no row */
    uint8_t key_size;
    uint8_t key[KEY_KEPT_MAX];
};

/* Copied under the latches, spelt out without them. */
struct deadlock {
    unsigned length; /* of the cycle; at most LINKS_MAX links are kept */
    struct deadlock_link links[LINKS_MAX];
};

static void
copy_link(struct deadlock_link *link, const struct txn *txn, const struct txn *blocker)
{
    const struct lock_waiter *waiter = txn->waiting;
    const struct lock *lock = waiter->lock;
    bool row = lock->kind == LOCK_ROW;
    struct slice key = row ? slice_of(lock->key, lock->key_size) : waiter->key;
    *link = (struct deadlock_link){
        .waiter = txn->owner_pid,
        .blocker = blocker->owner_pid,
        .kind = lock->kind,
        .mode = waiter->mode,
        .object = lock->object,
        .tree = row ? (tree_id_t){lock->object} : waiter->tree,
        .key_size = (uint8_t)(key.size < KEY_KEPT_MAX ? key.size : KEY_KEPT_MAX),
    };
    if (lock->kind == LOCK_ADVISORY) {
        link->key_size = lock->key[0];
    } else if (link->key_size > 0) {
        memcpy(link->key, key.data, link->key_size);
    }
}

static struct deadlock *
copy_cycle(struct txn *start, struct txn *closing)
{
    /* visit_from leads back from `closing` to the start; turn the path round. */
    struct txn *next = start;
    struct txn *at = closing;
    while (at != start) {
        struct txn *from = at->visit_from;
        at->visit_next = next;
        next = at;
        at = from;
    }
    start->visit_next = next;
    struct deadlock *deadlock = mem_zalloc(sizeof *deadlock);
    at = start;
    do {
        if (deadlock->length < LINKS_MAX) {
            copy_link(&deadlock->links[deadlock->length], at, at->visit_next);
        }
        deadlock->length++;
        at = at->visit_next;
    } while (at != start);
    return deadlock;
}

/* One line of the detail, in PostgreSQL's words, with the row where there is one. */
static void
describe(struct txn_db *db, const struct deadlock_link *link, char *to, size_t size)
{
    char row[80] = "";
    char what[160];
    if (link->tree.v != 0) {
        (void)snprintf(row, sizeof row, "a row of tree %llu", (unsigned long long)link->tree.v);
        ssi__name_key(db->ssi, link->tree, slice_of(link->key, link->key_size), row, sizeof row);
    }
    unsigned long long object = link->object;
    switch (link->kind) {
    case LOCK_TABLE:
        (void)snprintf(
            what, sizeof what, "%s on relation %llu", txn_table_lock_name(link->mode), object);
        break;
    case LOCK_TXN:
        (void)snprintf(what, sizeof what, "ShareLock on transaction %llu%s%s%s", object,
            row[0] == '\0' ? "" : " (", row, row[0] == '\0' ? "" : ")");
        break;
    case LOCK_ROW:
        (void)snprintf(what, sizeof what, "%s on %s", txn_row_lock_name(link->mode), row);
        break;
    case LOCK_ADVISORY:
        (void)snprintf(what, sizeof what, "%s on advisory lock [%llu,%llu,%d]",
            txn_table_lock_name(link->mode), object >> 32, object & UINT32_MAX, link->key_size);
        break;
    }
    (void)snprintf(to, size, "Process %u waits for %s; blocked by process %u.", link->waiter, what,
        link->blocker);
}

enum err
deadlock__report(struct txn_db *db, struct deadlock *deadlock, struct diag *diag)
{
    char text[DIAG_TEXT_MAX];
    size_t size = 0;
    for (unsigned i = 0; i < deadlock->length && i < LINKS_MAX; i++) {
        char line[256];
        describe(db, &deadlock->links[i], line, sizeof line);
        int written = snprintf(text + size, sizeof text - size, "%s%s", i == 0 ? "" : "\n", line);
        size += written < 0 ? 0 : (size_t)written;
        if (size >= sizeof text) {
            break;
        }
    }
    if (deadlock->links[0].tree.v != 0) {
        failures__count(db->failures, deadlock->links[0].tree, FAILURE_DEADLOCK);
    }
    mem_free(deadlock);
    (void)diag_set(diag, ERR_DEADLOCK, "deadlock detected");
    diag_detail(diag, "%s", text);
    diag_hint(diag, "See server log for query details.");
    return ERR_DEADLOCK;
}

/* Sets visit_from. The last transaction of a cycle that begins with `start`, or NULL. */
static struct txn *
find_cycle(struct txn_db *db, struct txn *start)
{
    struct search search = {.visit = ++db->visit, .last = start};
    start->visit_next = NULL;
    start->visit_from = NULL; /* visit is not set: reaching it again is the cycle */
    for (struct txn *at = start; at != NULL; at = at->visit_next) {
        if (at->waiting == NULL) {
            continue;
        }
        expand(&search, at->waiting);
        if (start->visit == search.visit) {
            return at;
        }
    }
    return NULL;
}

/* ---- making way -------------------------------------------------------------------------------
 */

/* Does it wait for the other only because that stands before it in line? Then that one's place. */
static struct lock_waiter *
only_ahead(const struct lock_waiter *waiter, const struct txn *other)
{
    const struct lock *lock = waiter->lock;
    if (lock->kind == LOCK_TXN || other->waiting == NULL || other->waiting->lock != lock) {
        return NULL;
    }
    unsigned modes = lock__conflicts(lock->kind, waiter->mode);
    LIST_FOREACH (node, &lock->holds) {
        const struct hold *hold = LIST_ENTRY(node, struct hold, node);
        if (hold->txn == other && ((waiter->own ? hold->firm : hold->modes) & modes) != 0) {
            return NULL;
        }
    }
    return other->waiting;
}

static void
number_queue(struct lock *lock)
{
    lock->next_ticket = 0;
    LIST_FOREACH (node, &lock->queue) {
        LIST_ENTRY(node, struct lock_waiter, node)->ticket = lock->next_ticket++;
    }
}

/* The waiter goes before `ahead`; back again if there is a cycle still. */
static bool
overtake(
    struct txn_db *db, struct lock_waiter *waiter, struct lock_waiter *ahead, struct txn *start)
{
    struct list_node *before = waiter->node.next;
    list_remove(&waiter->node);
    list_insert_before(&ahead->node, &waiter->node);
    number_queue(waiter->lock);
    if (find_cycle(db, start) == NULL && find_cycle(db, ahead->txn) == NULL) {
        return true;
    }
    list_remove(&waiter->node);
    list_insert_before(before, &waiter->node);
    number_queue(waiter->lock);
    return false;
}

/* A cycle in which somebody waits for a place in line, not for a lock, need have no victim: that
 * one overtakes. The lock with the new order, or NULL. */
static struct lock *
make_way(struct txn_db *db, struct txn *start, struct txn *closing)
{
    enum {
        TRIES_MAX = 32,
    };
    struct lock_waiter *waiters[TRIES_MAX], *ahead[TRIES_MAX];
    unsigned count = 0;
    const struct txn *to = start;
    struct txn *from = closing;
    while (count < TRIES_MAX) {
        ahead[count] = only_ahead(from->waiting, to);
        waiters[count] = from->waiting;
        count += ahead[count] != NULL;
        if (from == start) {
            break;
        }
        to = from;
        from = from->visit_from;
    }
    for (unsigned i = 0; i < count; i++) {
        if (overtake(db, waiters[i], ahead[i], start)) {
            return waiters[i]->lock;
        }
    }
    return NULL;
}

struct deadlock *
deadlock__found(struct txn_db *db, const struct lock_waiter *waiter, struct lock **reordered)
{
    struct txn *start = waiter->txn;
    *reordered = NULL;
    struct txn *closing = find_cycle(db, start);
    if (closing == NULL) {
        return NULL;
    }
    *reordered = make_way(db, start, closing);
    return *reordered != NULL ? NULL : copy_cycle(start, find_cycle(db, start));
}
