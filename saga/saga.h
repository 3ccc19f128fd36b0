/*
 * saga/saga.h - work across transactions: steps with compensations.
 *
 * CREATE SAGA, START SAGA and the rest come from sql/session through struct sql_saga_hooks; tasks
 * of this room run the steps. README.md says what is promised.
 */
#ifndef SAGA_SAGA_H
#define SAGA_SAGA_H

#include "base/err.h"
#include "sql/session/session.h"

struct saga_room;

/*
 * In a cluster (tuskd with cluster_node, behind routers) the router delivers the steps: it alone
 * knows where nodes are. A saga's home is the node that has the bucket of its slot.
 */
enum {
    SAGA_SLOTS = 64,
};
uint32_t saga_slot_of_key(const char *role, const char *key);
uint32_t saga_slot(uint64_t number);
/* Where the note is from which this saga has begun; of orders of that kind. */
uint32_t saga_note_slot(uint64_t number);

/* Has it the same meaning when it is sent again: a key, and values that are constants? Then a WAIT
 * whose saga's bucket moves away ends with TR003, and goes on where that is. */
struct ast_start_saga;
bool saga_start_repeats(const struct ast_start_saga *statement);

/* What a home wants done (tusk_saga_take, tusk_saga_report): `sql`, by a superuser, where the
 * bucket is. */
enum saga_order_kind {
    SAGA_ORDER_DO,
    SAGA_ORDER_UNDO,
    SAGA_ORDER_NOTE, /* not of a home: a saga that begins at its home (tusk_saga_noted) */
};
struct saga_order {
    uint64_t number;
    uint32_t step, kind, attempt; /* for the report */
    const char *database;
    const char *group; /* "": the first node */
    uint32_t bucket;
    const char *sql;
};
enum err saga_order_decode(
    struct arena *arena, struct slice bytes, struct saga_order *order, struct diag *diag);

/* Who must be asked, in this process, whether a step's body stays where the step is (router/). The
 * body has been parsed. */
struct saga_step;
struct sql_body;
struct saga_check {
    const struct relation *relation; /* the step's table */
    const char *step;
    int32_t key_param; /* -1: the table's shard column is not given by a parameter */
};
typedef enum err saga_body_check(struct task *task, struct sql_session *session,
    struct sql_body *body, const struct saga_check *check, struct diag *diag);
void saga_set_body_check(saga_body_check *check);
/* The table, in schema tusk_cluster, of records of steps on tables of this group of buckets. */
void saga_steps_table(const char *group, char name[32]);

/* The engine is open and nobody is served yet. Raises the coordinator's epoch, and goes on with the
 * sagas that have not ended. */
enum err saga_open(
    struct task *task, struct sql_engine *engine, struct saga_room **room, struct diag *diag);
/* No session is left but its own. What has not ended goes on at the next start. */
void saga_close(struct task *task, struct saga_room *room);

#endif /* SAGA_SAGA_H */
