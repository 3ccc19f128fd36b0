/*
 * server/server.h - tuskd: connections, configuration, start and stop.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "sql/session/session.h"
#include "world/world.h"

struct server_options {
    const char *data_directory;
    const char *host; /* 127.0.0.1 */
    uint16_t port;    /* 5433; 0: any free one, printed */
    uint64_t cache_size;
    uint64_t checkpoint_wal_size;
    uint32_t connections_max;
    const char *system_user;
};

struct server;

/* Opens the database, listens, and serves until it is told to stop; then closes everything, with a
 * checkpoint at the end. Runs as a task of its own. */
enum err server_run(struct task *task, const struct server_options *options, struct diag *diag);

/* Verify the data file of a directory that no server runs on, and print what is found. Returns the
 * program's exit status: 0 sound, 1 damaged, 2 it could not be seen. */
int server_check(struct task *task, const struct server_options *options);

#endif /* SERVER_SERVER_H */
