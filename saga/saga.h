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

/* The engine is open and nobody is served yet. Raises the coordinator's epoch, and goes on with the
 * sagas that have not ended. */
enum err saga_open(
    struct task *task, struct sql_engine *engine, struct saga_room **room, struct diag *diag);
/* No session is left but its own. What has not ended goes on at the next start. */
void saga_close(struct task *task, struct saga_room *room);

#endif /* SAGA_SAGA_H */
