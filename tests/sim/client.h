/* tests/sim/client.h - a client of the server: PostgreSQL's protocol over the simulated network. */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include "base/arena.h"
#include "base/bytes.h"
#include "world/world.h"

enum {
    SIM_PORT = 5433,
};

enum answer {
    ANSWER_DONE,
    ANSWER_ERROR, /* sqlstate and message are set; the connection is good */
    ANSWER_LOST,  /* the connection broke before the answer was whole */
};

struct client {
    struct task *task;
    const char *name;
    const char *database;        /* NULL: postgres */
    uint16_t port;               /* of the server */
    struct world_socket *socket; /* NULL: not connected */
    struct buffer in, out;
    size_t consumed;
    struct arena arena; /* the last result's */
    uint32_t pid, secret;
    char status; /* of the last ReadyForQuery */
    enum answer answer;
    uint32_t rows, columns;
    const char **values; /* row by row; NULL for null */
    size_t values_capacity;
    char tag[64];
    char sqlstate[6];
    char message[1024];
    uint32_t shown[8]; /* bank.c: what its transaction has been shown */
    unsigned shown_count;
};

void client_create(struct client *client, struct task *task, const char *name);
void client_destroy(struct client *client);

/* Until it succeeds, or `patience_us` is over (then false). */
bool client_connect(struct client *client, int64_t patience_us);
void client_close(struct client *client);

/* Send and take the whole answer. Simple or extended protocol, as the dice fall; several statements
 * in one string go by the simple one. */
enum answer client_query(struct client *client, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
enum answer client_query_text(struct client *client, const char *text);

/* A cancel request for `other`, on a connection of its own. */
void client_cancel(struct task *task, const struct client *other);

static inline const char *
client_value(const struct client *client, uint32_t row, uint32_t column)
{
    return client->values[row * client->columns + column];
}
int64_t client_int(const struct client *client, uint32_t row, uint32_t column);
bool client_is_error(const struct client *client, const char *sqlstate);

#endif /* TESTS_SIM_CLIENT_H */
