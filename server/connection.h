/*
 * server/connection.h - one client: the protocol's state machine over a socket.
 */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "server/auth.h"
#include "sql/session/session.h"
#include "world/world.h"

struct connection;

/*
 * Who answers a client's messages before the session does: the router (router/), which sends most
 * statements elsewhere, and leaves the rest to the session. Called by the connection's task only.
 */
enum relay_answer {
    RELAY_SESSION, /* not mine: the session shall deal with the message */
    RELAY_DONE,    /* dealt with; nothing more is due */
    RELAY_READY,   /* dealt with; ReadyForQuery is due */
    RELAY_FAILED,  /* an error for the client stands in diag; as if the session had met it */
};

struct connection_relay {
    void *arg;
    void *(*begin)(struct task *task, void *arg, struct connection *connection);
    enum relay_answer (*message)(
        struct task *task, void *client, char type, struct slice body, struct diag *diag);
    /* What ReadyForQuery says; the session's own status is given. Called once before each. */
    char (*status)(struct task *task, void *client, char status);
    void (*end)(struct task *task, void *client);
};

/* For the relay. Bytes for the client are appended to `out`, and leave at the latest with the next
 * ReadyForQuery. */
struct buffer *connection_out(struct connection *connection);
enum err connection_flush(struct task *task, struct connection *connection, struct diag *diag);
/* The client's next message, while another is dealt with (COPY); *body until the next call. */
enum err connection_next(struct task *task, struct connection *connection, char *type,
    struct slice *body, struct diag *diag);
struct sql_session *connection_session(struct connection *connection);

struct connection_options {
    struct sql_engine *engine; /* NULL: the server starts, and whoever comes is told so */
    const struct txn_recovery_progress *progress; /* of that */
    const struct host_rules *rules;
    struct world_tls *tls;                /* a reference, or NULL: encryption is refused */
    const uint8_t *secret;                /* 32 bytes, of this server's run (auth.h) */
    const struct connection_relay *relay; /* or NULL */
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
