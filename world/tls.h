/*
 * world/tls.h - encryption of a socket: TLS 1.2 and 1.3, by OpenSSL.
 *
 * A socket begins plain. After world_tls_start everything that world_recv and world_send carry goes
 * through TLS, with the same contracts; whoever uses the socket need not know. OpenSSL sees bytes
 * in memory only: what moves them are the socket's own receive and send, so tasks sleep as always.
 *
 * Its randomness is OpenSSL's own: a simulated world with TLS is not replayed bit by bit.
 */
#ifndef WORLD_TLS_H
#define WORLD_TLS_H

#include "world/world.h"

/* What connections are made with: certificate, key, authorities. Never changes; any thread. */
struct world_tls;

struct world_tls_options {
    bool server;
    /* PEM. Our own certificate and those between it and its authority, and its key; size 0: none
     * (a server must have them). */
    struct slice certificate, key;
    /* PEM: who may have signed the other side's certificate. size 0: it is not verified. A server
     * then asks clients for one, and does not insist. */
    struct slice authorities;
    const char *certificate_file, *key_file, *authorities_file; /* what errors call them */
    const char *version_min, *version_max; /* "TLSv1.2"; NULL or "": 1.2, the newest */
    const char *ciphers;                   /* for 1.2, OpenSSL's list; NULL or "": its default */
};

/* ERR_CONFIG_FILE when they cannot be used. One reference is the caller's. */
enum err world_tls_new(
    const struct world_tls_options *options, struct world_tls **tls, struct diag *diag);
struct world_tls *world_tls_retain(struct world_tls *tls); /* NULL is fine, here and below */
void world_tls_release(struct world_tls *tls);

/* The handshake. As a client: host is told to the server (NULL: nothing), and its certificate must
 * be for it if verify_host. ERR_CONNECTION_FAILURE with words if it fails, and nothing more can be
 * said on the socket then. Obeys TASK_TERMINATE and TASK_CANCEL. */
enum err world_tls_start(struct task *task, struct world_socket *socket, struct world_tls *tls,
    const char *host, bool verify_host, int64_t deadline_us, struct diag *diag);

enum {
    WORLD_TLS_NAME_MAX = 256
};

struct world_tls_info {
    char version[16]; /* TLSv1.3 */
    char cipher[64];
    int bits;
    bool verified; /* the other side has shown a certificate, and it was signed by an authority */
    /* Of the other side's certificate; "" if it has none, or it does not fit. */
    char common_name[WORLD_TLS_NAME_MAX];
    char subject[WORLD_TLS_NAME_MAX], issuer[WORLD_TLS_NAME_MAX]; /* /O=x/CN=y */
    char serial[64];                                              /* decimal */
};

/* False: the socket is plain. */
bool world_tls_info(const struct world_socket *socket, struct world_tls_info *info);

/* The hash of the server's certificate that RFC 5929 calls tls-server-end-point, at most 64 bytes;
 * its size, or 0: the socket is plain or the certificate's signature has no hash. */
size_t world_tls_end_point(const struct world_socket *socket, uint8_t hash[64]);

#endif /* WORLD_TLS_H */
