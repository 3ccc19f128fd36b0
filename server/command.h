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
    COMMAND_OPTIONS_MAX = 24,
};

/* An option of one program: it gives a setting its value, or sets *value to its argument, or takes
 * none and sets *flag. */
struct command_option {
    const char *name;
    char letter; /* 0: it has only the name */
    const char *setting;
    const char **value;
    bool *flag;
};

struct command {
    const char *program; /* for messages */
    struct server_options server;
    struct world_os_options world;
    char *settings[COMMAND_SETTINGS_MAX]; /* name=value */
    uint32_t setting_count;
    int status; /* to exit with */
};

enum command_parsed {
    COMMAND_GO_ON,
    COMMAND_DONE,  /* help or version was asked for, and shown */
    COMMAND_WRONG, /* which was said */
};

/* Reads the command line: --data, --set, --port, --host, --workers, --help and --version, which
 * both programs have, and the options of this one, whose list ends with a name of NULL. */
enum command_parsed command_parse(struct command *command, int argc, char **argv, const char *help,
    const struct command_option *options);
/* Says where help is; returns COMMAND_WRONG. */
enum command_parsed command_wrong(const struct command *command);

/* If the command line was parsed for going on: makes a world and runs it with `main` as its first
 * task. Returns the status to exit with. */
int command_run(struct command *command, enum command_parsed parsed, const char *task_name,
    task_main *main, void *arg);

/* In that task. Settings of files and options; false: they are wrong, which was said, and the world
 * stops. */
bool command_load(struct task *task, struct command *command);
/* server_run with what was loaded, until it ends; then the world stops. */
void command_serve(struct task *task, struct command *command);

#endif /* SERVER_COMMAND_H */
