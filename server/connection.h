/*
 * server/connection.h - one client: the protocol's state machine over a socket.
 */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "server/auth.h"
#include "sql/session/session.h"
#include "world/world.h"

struct connection_options {
    struct sql_engine *engine; /* NULL: the server starts, and whoever comes is told so */
    const struct txn_recovery_progress *progress; /* of that */
    const struct host_rules *rules;
    struct world_tls *tls; /* a reference, or NULL: encryption is refused */
    const uint8_t *secret; /* 32 bytes, of this server's run (auth.h) */
    struct world_socket *socket;
    char peer[64];
    /* Called with `arg` when start-up is over: from now on the engine knows the session, or the
     * client has been refused. */
    void (*started)(void *arg);
    /* Called when it has given back what it could, because the client is idle (C5). */
    void (*trimmed)(void *arg);
    /* Called when the connection has ended, last of all. */
    void (*ended)(void *arg);
    void *arg;
};

/* Start-up to end. Takes over the socket and the reference to tls. */
void connection_run(struct task *task, const struct connection_options *options);

#endif /* SERVER_CONNECTION_H */
