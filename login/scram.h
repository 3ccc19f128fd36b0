/*
 * login/scram.h - the client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677).
 *
 * Pure. client first -> server first -> client final -> server final; the last proves that the
 * server knows the password too.
 */
#ifndef LOGIN_SCRAM_H
#define LOGIN_SCRAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define SCRAM_MECHANISM      "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

enum scram_binding {
    SCRAM_UNBOUND,
    SCRAM_COULD_BE_BOUND, /* the channel has a hash, the server offers nothing */
    SCRAM_BOUND,          /* SCRAM_MECHANISM_PLUS */
};

enum {
    SCRAM_KEY_SIZE = 32,
    SCRAM_PASSWORD_MAX = 1024,
};

struct login_scram {
    char password[SCRAM_PASSWORD_MAX];
    char client_first[128]; /* "n,,n=,r=..." */
    size_t head_size;       /* of what stands before "n=" in it */
    char binding[160];      /* base64 of that head and the channel's hash */
    char nonce[64];
    uint8_t server_signature[SCRAM_KEY_SIZE];
};

/* `nonce`: random bytes, at most 30. channel: its hash (tls-server-end-point), at most 64 bytes. */
void login_scram_begin(struct login_scram *scram, const char *password, const uint8_t *nonce,
    size_t size, enum scram_binding binding, struct slice channel);
/* Take the server's first message, add the client's final one to `answer`. */
enum err login_scram_continue(struct login_scram *scram, const char *text, size_t size,
    struct buffer *answer, struct diag *diag);
enum err login_scram_finish(
    struct login_scram *scram, const char *text, size_t size, struct diag *diag);
/* Forget the password. */
void login_scram_destroy(struct login_scram *scram);

#endif /* LOGIN_SCRAM_H */
