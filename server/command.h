/*
 * server/command.h - what the command lines of tuskd and tusk-router have in common: settings given
 * as options, the world that is made and run, and how a start that fails is told.
 */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

#include "server/server.h"
#include "world/world.h"

enum {
    COMMAND_SETTINGS_MAX = 256,
};

struct command {
    const char *program; /* for messages */
    struct server_options server;
    struct world_os_options world;
    char *settings[COMMAND_SETTINGS_MAX]; /* name=value */
    uint32_t setting_count;
    int status; /* to exit with */
};

/* A setting for this run. name NULL: value is "name=value". False: there are too many, and it was
 * said. */
bool command_set(struct command *command, const char *name, const char *value);
/* All of the text is a number up to max. */
bool command_number(const char *text, unsigned long max, unsigned long *number);

/* Makes a world, runs it with `main` as its first task, and returns the status to exit with. */
int command_run(struct command *command, const char *task_name, task_main *main, void *arg);

/* In that task. Settings of files and options; false: they are wrong, which was said, and the world
 * stops. */
bool command_load(struct task *task, struct command *command);
/* server_run with what was loaded, until it ends; then the world stops. */
void command_serve(struct task *task, struct command *command);

#endif /* SERVER_COMMAND_H */
