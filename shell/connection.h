/*
 * shell/connection.h - the client's end of the protocol: one session with one server.
 *
 * What the server says on its own (notices, parameters, the transaction's state) is taken care of
 * here; everything else comes out of connection_next, message by message.
 */
#ifndef SHELL_CONNECTION_H
#define SHELL_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "login/login.h"

enum {
    CONNECTION_NAME_MAX = 128,
    CONNECTION_FILE_MAX = 1024,
};

struct connection {
    struct task *task;
    struct world_socket *socket; /* NULL: not connected */
    struct buffer in, out;
    size_t in_at; /* where the next message begins */
    uint32_t process_id, secret;
    char transaction; /* I, T or E */
    bool superuser;
    char host[CONNECTION_NAME_MAX], user[CONNECTION_NAME_MAX], database[CONNECTION_NAME_MAX];
    uint16_t port;
    char password[CONNECTION_NAME_MAX]; /* of the connection string; "": ask_password */
    char application[CONNECTION_NAME_MAX];
    char typed[CONNECTION_NAME_MAX]; /* what ask_password gave last */
    enum tls_mode tls_mode;
    bool encrypted;                      /* this session, or the attempt at one */
    bool authenticated;                  /* the server has said so */
    char root_file[CONNECTION_FILE_MAX]; /* "": ~/.postgresql/root.crt, as libpq */
    char certificate_file[CONNECTION_FILE_MAX], key_file[CONNECTION_FILE_MAX];
    struct world_tls *tls; /* what connections are made with, once it was read */
    char server_version[CONNECTION_NAME_MAX];
    /* A NoticeResponse's body. */
    void (*on_notice)(void *arg, struct slice body);
    /* Ctrl-C while we waited for the server; a request to cancel was sent. */
    void (*on_cancel)(void *arg);
    /* Asks for a password; the result is on the heap, or NULL. */
    char *(*ask_password)(void *arg);
    void *arg;
    /* Called a few times a second while the server lets us wait; or NULL. */
    void (*on_wait)(void *arg);
    void *on_wait_arg;
    struct buffer failure; /* body of the server's last FATAL or start-up error */
};

struct message {
    char type;
    struct slice body; /* until the next call */
};

/* Connect with host, port, user and database as they stand in the struct. On failure `diag` has
 * the words; if the server itself refused, they are in `failure` as well. */
enum err connection_open(struct connection *connection, struct diag *diag);
/* `to`, which is new, will open a second session of the same kind. */
void connection_copy_target(struct connection *to, const struct connection *from);
void connection_close(struct connection *connection); /* says goodbye; harmless if not open */
void connection_destroy(struct connection *connection);

/* Send what is in `out`. */
enum err connection_flush(struct connection *connection, struct diag *diag);
/* Send a simple query; then read messages up to 'Z'. */
enum err connection_query(
    struct connection *connection, const char *text, size_t size, struct diag *diag);
enum err connection_next(struct connection *connection, struct message *message, struct diag *diag);

#endif /* SHELL_CONNECTION_H */
