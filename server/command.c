/* server/command.c - what the command lines of tuskd and tusk-router have in common. */
#include "server/command.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "sql/session/config.h"

bool
command_set(struct command *command, const char *name, const char *value)
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

bool
command_number(const char *text, unsigned long max, unsigned long *number)
{
    char *end = NULL;
    *number = strtoul(text, &end, 10);
    return end != text && *end == '\0' && text[0] != '-' && *number <= max;
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
command_run(struct command *command, const char *task_name, task_main *main, void *arg)
{
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
