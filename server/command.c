/* server/command.c - what the command lines of tuskd and tusk-router have in common. */
#include "server/command.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/session/config.h"

/* A setting for this run. name NULL: value is "name=value". False: there are too many. */
static bool
set(struct command *command, const char *name, const char *value)
{
    if (command->setting_count == COMMAND_SETTINGS_MAX) {
        (void)fprintf(stderr, "%s: too many settings\n", command->program);
        return false;
    }
    char *setting = NULL;
    if (name == NULL) {
        setting = mem_strdup(value);
    } else {
        size_t size = strlen(name) + strlen(value) + 2;
        setting = mem_alloc(size);
        (void)snprintf(setting, size, "%s=%s", name, value);
    }
    command->settings[command->setting_count++] = setting;
    return true;
}

static bool
set_workers(struct command *command, const char *text)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || number > WORLD_WORKERS_MAX) {
        (void)fprintf(stderr, "%s: invalid number of workers: \"%s\"\n", command->program, text);
        return false;
    }
    command->world.worker_count = (unsigned)number;
    return true;
}

static bool
take(struct command *command, const struct command_option *option)
{
    if (option->flag != NULL) {
        *option->flag = true;
    } else if (option->value != NULL) {
        *option->value = optarg;
    } else {
        return set(command, option->setting, optarg);
    }
    return true;
}

enum command_parsed
command_wrong(const struct command *command)
{
    (void)fprintf(stderr, "Try \"%s --help\".\n", command->program);
    return COMMAND_WRONG;
}

/* The tables of getopt_long; option number i comes back as FIRST + i. */
static const struct command_option common[] = {
    {.name = "set", .letter = 'c'},
    {.name = "port", .letter = 'p', .setting = "port"},
    {.name = "host", .letter = 'h', .setting = "listen_addresses"},
};

enum {
    COMMON_COUNT = sizeof common / sizeof common[0],
    OPTION_HELP = 256,
    OPTION_VERSION,
    OPTION_WORKERS,
    OPTION_FIRST,
};

static const struct command_option *
option_at(const struct command_option *own, size_t at)
{
    return at < COMMON_COUNT ? &common[at] : &own[at - COMMON_COUNT];
}

/* NULL: getopt_long knew none, and said so. */
static const struct command_option *
option_found(const struct command_option *own, int found)
{
    for (size_t i = 0; option_at(own, i)->name != NULL; i++) {
        if (found == OPTION_FIRST + (int)i || found == option_at(own, i)->letter) {
            return option_at(own, i);
        }
    }
    return NULL;
}

enum command_parsed
command_parse(struct command *command, int argc, char **argv, const char *help,
    const struct command_option *own)
{
    struct option table[COMMAND_OPTIONS_MAX + 1] = {
        {"data", required_argument, NULL, 'D'},
        {"workers", required_argument, NULL, OPTION_WORKERS},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
    };
    char letters[2 * COMMAND_OPTIONS_MAX + 1] = "D:";
    size_t count = 4;
    size_t letter_count = 2;
    for (size_t i = 0; option_at(own, i)->name != NULL; i++) {
        const struct command_option *option = option_at(own, i);
        ASSERT(count < COMMAND_OPTIONS_MAX);
        table[count++] = (struct option){option->name,
            option->flag == NULL ? required_argument : no_argument, NULL, OPTION_FIRST + (int)i};
        if (option->letter != 0) {
            letters[letter_count++] = option->letter;
            letters[letter_count++] = ':';
        }
    }
    int found = 0;
    bool fine = true;
    while (fine && (found = getopt_long(argc, argv, letters, table, NULL)) != -1) {
        if (found == 'D') {
            command->server.data_directory = optarg;
        } else if (found == OPTION_WORKERS) {
            fine = set_workers(command, optarg);
        } else if (found == OPTION_HELP || found == OPTION_VERSION) {
            (void)printf(found == OPTION_HELP ? "%s" : "%s 0.1.0\n",
                found == OPTION_HELP ? help : command->program);
            return COMMAND_DONE;
        } else {
            const struct command_option *option = option_found(own, found);
            fine = option != NULL && take(command, option);
        }
    }
    if (fine && (optind < argc || command->server.data_directory == NULL)) {
        (void)fprintf(stderr,
            optind < argc ? "%s: too many arguments\n" : "%s: no directory given (--data DIR)\n",
            command->program);
        fine = false;
    }
    return fine ? COMMAND_GO_ON : command_wrong(command);
}

bool
command_load(struct task *task, struct command *command)
{
    static struct diag diag; /* too large for this stack's beginning to be wasted on */
    struct server_options *server = &command->server;
    if (sql_config_load(task, server->data_directory, server->arguments, server->argument_count,
            &server->config, &diag) == ERR_OK) {
        return true;
    }
    (void)fprintf(stderr, "%s: %s%s%s\n", command->program, diag.message,
        diag.detail[0] == '\0' ? "" : ". ", diag.detail);
    command->status = 2;
    world_stop(task_world(task));
    return false;
}

void
command_serve(struct task *task, struct command *command)
{
    static struct diag diag;
    if (server_run(task, &command->server, &diag) != ERR_OK) {
        world_log(task_world(task), "FATAL: %s", diag.message);
        if (diag.detail[0] != '\0') {
            world_log(task_world(task), "DETAIL: %s", diag.detail);
        }
        if (diag.hint[0] != '\0') {
            world_log(task_world(task), "HINT: %s", diag.hint);
        }
        command->status = 1;
    }
    world_stop(task_world(task));
}

int
command_run(struct command *command, enum command_parsed parsed, const char *task_name,
    task_main *main, void *arg)
{
    if (parsed != COMMAND_GO_ON) {
        return parsed == COMMAND_DONE ? 0 : 2;
    }
    command->server.arguments = (const char *const *)command->settings;
    command->server.argument_count = command->setting_count;
    const struct passwd *user = getpwuid(geteuid());
    command->server.system_user = user == NULL ? "postgres" : user->pw_name;
    struct world *world = NULL;
    struct diag diag;
    diag_clear(&diag);
    if (world_os_new(&command->world, &world, &diag) != ERR_OK ||
        task_spawn(world, 0, task_name, main, arg, &diag) != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", command->program, diag.message);
        return 1;
    }
    world_run(world);
    world_delete(world);
    sql_config_release(command->server.config);
    for (uint32_t i = 0; i < command->setting_count; i++) {
        mem_free(command->settings[i]);
    }
    return command->status;
}
