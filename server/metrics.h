/*
 * server/metrics.h - GET /metrics, in Prometheus's text format (version 0.0.4).
 *
 * A task of its own answers one client after the other; each has a few seconds.
 */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include "sql/session/session.h"

struct metrics_server {
    struct sql_engine *engine;
    struct world_listener *listener;
    struct task *task; /* NULL: not running */
};

/* Port 0: there is none, and that is fine. */
enum err metrics_start(struct task *task, struct metrics_server *metrics, struct sql_engine *engine,
    const char *host, uint16_t port, struct diag *diag);
/* Returns when its task has ended. */
void metrics_stop(struct task *task, struct metrics_server *metrics);

#endif /* SERVER_METRICS_H */
