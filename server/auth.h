/*
 * server/auth.h - who may come from where, and SCRAM-SHA-256.
 *
 * Rules stand in DIR/tusk_hba.conf, a line each, the first that fits decides:
 *
 *     host  DATABASE  USER  ADDRESS[/BITS]  METHOD  [clientcert=verify-ca|verify-full]
 *
 * hostssl is for encrypted connections only, hostnossl for the others. DATABASE and USER are names,
 * lists with commas, or all; METHOD is trust, reject, scram-sha-256 or cert (hostssl only: the
 * certificate's common name is the user's).
 */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "world/tls.h"

enum auth_method {
    AUTH_NONE, /* no rule fits */
    AUTH_REJECT,
    AUTH_TRUST,
    AUTH_SCRAM,
    AUTH_CERTIFICATE,
};

enum auth_certificate { /* what is asked of the client's, besides */
    CERTIFICATE_ANY,
    CERTIFICATE_VALID,
    CERTIFICATE_NAMES_USER,
};

struct host_decision {
    enum auth_method method;
    enum auth_certificate certificate;
};

struct host_rules;

/* The new rules keep the older ones (NULL: none), which connections may still look at, until they
 * are deleted themselves. Reads the file; writes it with the default rules if it is missing.
 * ERR_CONFIG_FILE on a line that cannot be understood. */
enum err host_rules_read(struct task *task, const char *directory, struct host_rules *older,
    struct host_rules **rules, struct diag *diag);
void host_rules_delete(struct host_rules *rules);
/* peer: "address:port"; tls: the connection is encrypted. */
struct host_decision host_rules_match(const struct host_rules *rules, const char *database,
    const char *user, const char *peer, bool tls);

/* The server's side of one exchange (RFC 5802, 7677). */
struct scram_exchange {
    char binding[128]; /* base64 of what client-final must say of the channel */
    char client_first_bare[512];
    char server_first[512];
    char nonce[256];
    uint8_t stored_key[32], server_key[32];
    bool known; /* there is a password to compare with */
};

struct scram_channel {
    bool offered;      /* SCRAM-SHA-256-PLUS was */
    bool chosen;       /* and the client took it */
    struct slice hash; /* tls-server-end-point (world/tls.h) */
};

/* verifier NULL: the exchange goes its way, and fails at its end. secret: for a salt that is always
 * the same for a user without password. *answer is server-first. */
enum err scram_begin(struct scram_exchange *exchange, const char *user, const char *verifier,
    const uint8_t secret[32], struct world *world, const struct scram_channel *channel,
    struct slice client_first, const char **answer, struct diag *diag);
/* Fills server-final. 28P01 if it is not the password. */
enum err scram_finish(struct scram_exchange *exchange, const char *user, struct slice client_final,
    char server_final[80], struct diag *diag);

#endif /* SERVER_AUTH_H */
