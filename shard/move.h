/*
 * shard/move.h - moving a bucket from one node to another while both are in use.
 *
 * The mover talks to three: the node that has the bucket (tusk_send_..), the node that gets it
 * (tusk_receive_..; sql/session/moves.c for both) and the control store. What it has to remember is
 * one document there, and the state of the bucket at the first node; so it may die at any point,
 * and whoever finds the document goes on.
 *
 *     step                at the old node        at the new node          control store
 *     -                   OWNED                  ELSEWHERE                moves/GROUP/BUCKET
 *     copy, follow        OWNED                  rows in an open          attempt = its version
 *                                                transaction
 *     stop                HANDING: no writes     "
 *     what is left, sums  HANDING                "
 *     decide              HANDING                "                        map: the new node;
 *                                                                         decided; one txn
 *     tell                SENT: no reads         "
 *     own                 SENT                   OWNED, and its rows
 *     forget              GONE, rows away        OWNED                    document gone
 *
 * Why it is safe
 *   MV1. Only OWNED lets a row be written, and two are never OWNED: the new node commits OWNED
 * after the old one has committed SENT, and nothing leads from SENT back to OWNED. MV2. What the
 * new node commits is what the old one has: after HANDING nobody writes there (its bucket lock was
 * taken alone, so writers have ended), the last changes were sent, and the sums agree. The rows at
 * the old node go only after the new node's commit is durable. MV3. From HANDING back to OWNED
 * leads only a mover that has rewritten the document before while it did not say decided; to decide
 * is to rewrite the same version. So of one that gives up and one that decides, one is refused.
 *   MV4. A mover that was paused meets, at both nodes, states and sessions of a later attempt, and
 *        is refused; its transaction at the new node was ended before the later one began.
 *   MV5. Reading at one stamp: SENT's commit is stamped lower than OWNED's at the other, and that
 *        lower than GONE's; the mover carries the clock there and back. So who reads all nodes at
 *        a stamp meets the rows at the old one below SENT, at the new one from OWNED on, and in
 *        between somebody who refuses (TR004 or TR003): never both, and never neither, though
 *        nobody is told which buckets to have.
 *   MV6. Both have the same buckets: which values are in one is compared before rows are taken, and
 *        cannot change at either until the new node has committed (both hold locks on the tables;
 * at the old one, from HANDING on, the state itself refuses a split). Else a bucket that was split
 * at the old node and not yet at the new one would leave its child behind, which the new node, when
 * it hears of the split, takes for its own, too.
 */
#ifndef SHARD_MOVE_H
#define SHARD_MOVE_H

#include "shard/ctl.h"
#include "shard/map.h"

/* How the mover reaches nodes: a session with each, of a superuser. */
struct move_link {
    void *arg;
    /* A simple query; opens the session if there is none. *value: the first column of the first row
     * in the arena; NULL: null, or there is none. The diag has the node's own SQLSTATE. */
    enum err (*query)(struct task *task, void *arg, const struct shard_map_node *node,
        const char *sql, struct arena *arena, const char **value, struct diag *diag);
    /* End all sessions; what they had open is rolled back. */
    void (*hang_up)(struct task *task, void *arg);
    /* For tests, else NULL: this step (of MOVE_STEPS) has just been done. */
    void (*at_step)(struct task *task, void *arg, const char *step);
};

/* In this order: mover's lease; the document rewritten; the new node has begun; the old one has
 * none of an older attempt; notes are made; a piece; all pieces; both have read all for the sums;
 * HANDING; sums agree; the map; SENT; OWNED; who waited is told; GONE; the document is away. */
#define MOVE_STEPS                                                                              \
    "lease", "taken", "receives", "aborted", "noted", "piece", "copied", "verified", "stopped", \
        "compared", "decided", "sent", "owned", "told", "gone", "ended"

struct move_report {
    int64_t pause_us; /* from the stop until the new node has it */
    int64_t sent_us;  /* how long the old node was SENT: whole tables are not read there */
    int64_t all_us;
    uint64_t pieces, rounds, attempts;
    bool over; /* there was no document: another has ended it */
};

/* Puts the document there: the bucket shall go to this node. Nothing is moved yet.
 * ERR_OBJECT_IN_USE if it is being moved, ERR_UNDEFINED_OBJECT if there is no such bucket or node;
 * *there: it already is. */
enum err move_plan(struct task *task, struct ctl *ctl, const char *group, uint32_t bucket,
    const char *to, bool *there, struct diag *diag);
/* Goes on with the document of this key (as ctl_list gives it under SHARD_MOVES_PREFIX) until it is
 * done, or there is none. ERR_OBJECT_IN_USE: another mover is at it. After an error the document
 * stays, unless the move cannot be made at all (then it is undone, and *given_up). */
enum err move_run(struct task *task, struct ctl *ctl, const struct move_link *link, const char *key,
    struct move_report *report, bool *given_up, struct diag *diag);

#endif /* SHARD_MOVE_H */
