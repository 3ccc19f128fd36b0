/* server/main.c - tuskd: the command line. */
#include <stdio.h>

#include "server/command.h"

static const char help[] =
    "tuskd is the Tusk database server.\n"
    "\n"
    "Usage:\n"
    "  tuskd --data DIR [OPTION]...\n"
    "\n"
    "Options:\n"
    "  -D, --data DIR             data directory; created if it does not exist\n"
    "  -c, --set NAME=VALUE       a setting, which counts more than DIR/tusk.conf\n"
    "  -p, --port N               port to listen on (setting port, default 5433; 0: any free one)\n"
    "  -h, --host ADDRESS         address to listen on (listen_addresses, default 127.0.0.1);\n"
    "                             DIR/tusk_hba.conf says who may come from where\n"
    "      --cache-size SIZE      page cache, e.g. 512MB (shared_buffers, default 1GB)\n"
    "      --checkpoint-log SIZE  start a checkpoint after so much log (max_wal_size, default "
    "1GB)\n"
    "      --max-connections N    most sessions at a time (max_connections, default 10000)\n"
    "      --workers N            worker threads (default: one per processor)\n"
    "      --check                verify the data file and end; no server may run on it\n"
    "      --restore BACKUP       make DIR of a base backup, and end; SELECT tusk_backup('...')\n"
    "                             makes backups. With:\n"
    "        --archive ARCHIVE      the log from there (setting archive_directory), too\n"
    "        --target-lsn N         not further than this position (tusk_current_lsn())\n"
    "        --target-time TIME     not further than this time\n"
    "      --help                 show this help\n"
    "      --version              show the version\n"
    "\n"
    "Settings stand in DIR/tusk.conf, which the first start writes with all defaults in comments.\n"
    "SIGHUP or SELECT pg_reload_conf() reads it again.\n"
    "\n"
    "Signals: SIGTERM lets sessions finish what they do, SIGINT aborts them; both end with a\n"
    "checkpoint. SIGQUIT ends at once.\n";

struct arguments {
    struct command command;
    bool check;
    struct server_restore_options restore;
};

/* What does not go together. */
static enum command_parsed
check_restore(const struct command *command, const struct server_restore_options *restore)
{
    if (restore->backup == NULL &&
        (restore->archive != NULL || restore->target_lsn != NULL || restore->target_time != NULL)) {
        (void)fputs("tuskd: --archive, --target-lsn and --target-time go with --restore\n", stderr);
        return command_wrong(command);
    }
    if (restore->target_lsn != NULL && restore->target_time != NULL) {
        (void)fputs("tuskd: a position or a time, not both\n", stderr);
        return command_wrong(command);
    }
    return COMMAND_GO_ON;
}

static void
server_main(struct task *task, void *arg)
{
    struct arguments *arguments = arg;
    struct command *command = &arguments->command;
    if (arguments->restore.backup != NULL) {
        arguments->restore.data_directory = command->server.data_directory;
        command->status = server_restore(task, &arguments->restore);
        world_stop(task_world(task));
        return;
    }
    if (!command_load(task, command)) {
        return;
    }
    if (arguments->check) {
        command->status = server_check(task, &command->server);
        world_stop(task_world(task));
        return;
    }
    command_serve(task, command);
}

int
main(int argc, char **argv)
{
    static struct arguments arguments = {.command.program = "tuskd"};
    static const struct command_option options[] = {
        {.name = "cache-size", .setting = "shared_buffers"},
        {.name = "checkpoint-log", .setting = "max_wal_size"},
        {.name = "max-connections", .setting = "max_connections"},
        {.name = "check", .flag = &arguments.check},
        {.name = "restore", .value = &arguments.restore.backup},
        {.name = "archive", .value = &arguments.restore.archive},
        {.name = "target-lsn", .value = &arguments.restore.target_lsn},
        {.name = "target-time", .value = &arguments.restore.target_time},
        {.name = NULL},
    };
    enum command_parsed parsed = command_parse(&arguments.command, argc, argv, help, options);
    if (parsed == COMMAND_GO_ON) {
        parsed = check_restore(&arguments.command, &arguments.restore);
    }
    return command_run(&arguments.command, parsed, "server", server_main, &arguments);
}
