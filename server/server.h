/*
 * server/server.h - tuskd: connections, configuration, start and stop.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/connection.h"
#include "sql/session/session.h"
#include "world/world.h"

struct server_options {
    const char *data_directory;
    struct sql_config *config; /* what the files and the command line say */
    /* "name=value" of the command line, for when the files are read again. */
    const char *const *arguments;
    uint32_t argument_count;
    /* For tests. 0: 64 MiB; what the configuration says. */
    uint64_t wal_segment_size; /* must not change over a directory's life */
    uint64_t checkpoint_wal_size;
    const char *system_user;
    /* The router's: who answers clients before the session does. opened (or NULL) is called when
     * the engine is open and before there are clients, closing when none is left. */
    const struct connection_relay *relay;
    enum err (*opened)(struct task *task, void *arg, struct sql_engine *engine, struct diag *diag);
    void (*closing)(struct task *task, void *arg);
    void *arg;
};

struct server;

/* Opens the database, listens, and serves until it is told to stop; then closes everything, with a
 * checkpoint at the end. Runs as a task of its own. */
enum err server_run(struct task *task, const struct server_options *options, struct diag *diag);

/* Verify the data file of a directory that no server runs on, and print what is found. Returns the
 * program's exit status: 0 sound, 1 damaged, 2 it could not be seen. */
int server_check(struct task *task, const struct server_options *options);

struct server_restore_options {
    const char *data_directory;           /* the new one */
    const char *backup;                   /* made by tusk_backup */
    const char *archive;                  /* or NULL */
    const char *target_lsn, *target_time; /* or NULL: to the end of the log */
    uint64_t cache_size;
};

/* Make a data directory of a backup. Returns the program's exit status, 0 or 1. */
int server_restore(struct task *task, const struct server_restore_options *options);

#endif /* SERVER_SERVER_H */
