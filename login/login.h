/*
 * login/login.h - what a client does before its first query: encryption and passwords.
 *
 * For every client of servers that speak PostgreSQL's protocol: the shell, and the router at its
 * shards. The words (sslmode, password files) mean what they mean to libpq.
 */
#ifndef LOGIN_LOGIN_H
#define LOGIN_LOGIN_H

#include <stdbool.h>

#include "login/scram.h"
#include "world/tls.h"

/* ---- tls.c ----------------------------------------------------------------------------------- */

enum tls_mode { /* libpq's sslmode */
    TLS_DISABLE,
    TLS_ALLOW,  /* if it is refused without */
    TLS_PREFER, /* if the server can */
    TLS_REQUIRE,
    TLS_VERIFY_CA,   /* and an authority that we know has signed its certificate */
    TLS_VERIFY_FULL, /* and it is the host's */
};

/* By libpq's word; false: there is no such mode. */
bool login_tls_mode(const char *word, enum tls_mode *mode);

struct login_tls_files {           /* paths */
    const char *root;              /* "": none. Need not exist if nothing is to be verified */
    const char *certificate, *key; /* certificate NULL: we have none */
};
/* What connections are made with. ERR_UNDEFINED_FILE, ERR_CONFIG_FILE. */
enum err login_tls_load(struct task *task, enum tls_mode mode, const struct login_tls_files *files,
    struct world_tls **tls, struct diag *diag);

struct login_target {
    const char *host;
    uint16_t port;
    enum tls_mode mode;
    struct world_tls *tls; /* may be NULL where the mode is TLS_DISABLE */
};
/* A socket to it. *encrypted: whether to ask for that; then, whether it is. Obeys TASK_TERMINATE
 * and TASK_CANCEL. */
enum err login_connect(struct task *task, const struct login_target *target, bool *encrypted,
    int64_t deadline_us, struct world_socket **socket, struct diag *diag);
/* The first attempt is encrypted; and whether one that the server itself has refused may be made
 * once more, the other way. */
bool login_encrypted_first(enum tls_mode mode);
bool login_other_way(enum tls_mode mode, bool encrypted);

/* ---- login.c --------------------------------------------------------------------------------- */

/* One attempt; zeroed but for the first two. */
struct login {
    /* On the heap, or NULL: there is none. */
    enum err (*password)(void *arg, char **password, struct diag *diag);
    void *arg;
    bool authenticated; /* the server has said so */
    struct login_scram scram;
};

/* Takes an Authentication message ('R'), and adds what is to be sent, if anything, to `out`.
 * ERR_INVALID_PASSWORD: there is no password, or the server does not know it. */
enum err login_answer(struct login *login, struct task *task, const struct world_socket *socket,
    struct slice body, struct buffer *out, struct diag *diag);
/* Forgets the password. */
void login_destroy(struct login *login);
void login_forget_password(char *password); /* NULL is fine */

/* ---- passfile.c ------------------------------------------------------------------------------ */

/* Looks up a password in a file of lines host:port:database:user:password, where * is anything and
 * \ makes the next character plain; the first that fits counts. NULL: none does. ERR_CONFIG_FILE if
 * others than its owner may read the file. */
enum err login_passfile_find(struct task *task, const char *path, const char *const target[4],
    char **password, struct diag *diag);
/* Is it fit to be used? */
enum err login_passfile_check(struct task *task, const char *path, struct diag *diag);

#endif /* LOGIN_LOGIN_H */
