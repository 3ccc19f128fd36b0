/*
 * txn/deadlock.c - cycles among those who wait.
 *
 * Looked for at once whenever somebody goes to sleep, with all partitions latched. A cycle is
 * always closed by a transaction that blocks, so the one that just blocked is the victim, and
 * nobody else is part of an undetected cycle. Breadth first, each transaction once: no recursion.
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

static void
reach(struct search *search, struct txn *txn, struct txn *from)
{
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
expand(struct search *search, struct txn *txn, const struct lock_waiter *waiter)
{
    struct lock *lock = waiter->lock;
    if (lock->kind == LOCK_TXN) {
        reach(search, lock->owner, txn);
        return;
    }
    unsigned modes = lock__conflicts(lock->kind, waiter->mode);
    LIST_FOREACH (node, &lock->holds) {
        const struct hold *hold = LIST_ENTRY(node, struct hold, node);
        if (hold->txn != txn && ((waiter->own ? hold->firm : hold->modes) & modes) != 0) {
            reach(search, hold->txn, txn);
        }
    }
    if (waiter->own) {
        return; /* T9: nobody in the queue comes before it */
    }
    if (lock->visit == search->visit && waiter->ticket <= lock->visit_ticket &&
        (modes & ~lock->visit_modes) == 0) {
        return; /* everybody ahead has been reached */
    }
    lock->visit = search->visit;
    lock->visit_ticket = waiter->ticket;
    lock->visit_modes = modes;
    for (struct list_node *node = lock->queue.next; node != &waiter->node; node = node->next) {
        const struct lock_waiter *ahead = LIST_ENTRY(node, struct lock_waiter, node);
        if (ahead->txn != txn && (1U << ahead->mode & modes) != 0) {
            reach(search, ahead->txn, txn);
        }
    }
}

static const char *const table_modes[] = {"AccessShareLock", "RowShareLock", "RowExclusiveLock",
    "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock",
    "AccessExclusiveLock"};

/* One line of the detail, in PostgreSQL's words. */
static int
describe(char *to, size_t size, const struct txn *txn, const struct txn *blocker)
{
    const struct lock_waiter *waiter = txn->waiting;
    const struct lock *lock = waiter->lock;
    char what[96];
    uint64_t id = atomic_load(&blocker->id);
    if (lock->kind == LOCK_TABLE) {
        (void)snprintf(what, sizeof what, "%s on relation %llu", table_modes[waiter->mode],
            (unsigned long long)lock->object);
    } else if (id != 0) {
        (void)snprintf(what, sizeof what, "ShareLock on transaction %llu", (unsigned long long)id);
    } else {
        (void)snprintf(what, sizeof what, "ExclusiveLock on a row of tree %llu",
            (unsigned long long)lock->object);
    }
    return snprintf(to, size, "Process %u waits for %s; blocked by process %u.", txn->owner_pid,
        what, blocker->owner_pid);
}

static void
report(struct txn *start, struct txn *closing, struct diag *diag)
{
    (void)diag_set(diag, ERR_DEADLOCK, "deadlock detected");
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
    char text[DIAG_TEXT_MAX];
    size_t size = 0;
    at = start;
    do {
        int written = describe(text + size, sizeof text - size, at, at->visit_next);
        size += written < 0 ? 0 : (size_t)written;
        at = at->visit_next;
        if (size + 1 >= sizeof text) {
            break;
        }
        if (at != start) {
            text[size++] = '\n';
            text[size] = '\0';
        }
    } while (at != start);
    diag_detail(diag, "%s", text);
    diag_hint(diag, "See server log for query details.");
}

bool
deadlock__found(struct txn_db *db, const struct lock_waiter *waiter, struct diag *diag)
{
    struct txn *start = waiter->txn;
    struct search search = {.visit = ++db->visit, .last = start};
    start->visit_next = NULL;
    start->visit_from = NULL; /* visit is not set: reaching it again is the cycle */
    for (struct txn *at = start; at != NULL; at = at->visit_next) {
        if (at->waiting == NULL) {
            continue;
        }
        expand(&search, at, at->waiting);
        if (start->visit == search.visit) {
            report(start, at, diag);
            return true;
        }
    }
    return false;
}
