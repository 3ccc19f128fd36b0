/* server/main.c - tuskd: the command line. */
#include <getopt.h>
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

/* 0: go on; else exit with status - 1. */
static int
parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    enum {
        OPTION_HELP = 256,
        OPTION_VERSION,
        OPTION_WORKERS,
        OPTION_CACHE,
        OPTION_CHECKPOINT,
        OPTION_CONNECTIONS,
        OPTION_CHECK,
        OPTION_RESTORE,
        OPTION_ARCHIVE,
        OPTION_TARGET_LSN,
        OPTION_TARGET_TIME,
    };
    static const struct option options[] = {
        {"data", required_argument, NULL, 'D'},
        {"set", required_argument, NULL, 'c'},
        {"port", required_argument, NULL, 'p'},
        {"host", required_argument, NULL, 'h'},
        {"workers", required_argument, NULL, OPTION_WORKERS},
        {"cache-size", required_argument, NULL, OPTION_CACHE},
        {"checkpoint-log", required_argument, NULL, OPTION_CHECKPOINT},
        {"max-connections", required_argument, NULL, OPTION_CONNECTIONS},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"restore", required_argument, NULL, OPTION_RESTORE},
        {"archive", required_argument, NULL, OPTION_ARCHIVE},
        {"target-lsn", required_argument, NULL, OPTION_TARGET_LSN},
        {"target-time", required_argument, NULL, OPTION_TARGET_TIME},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
    };
    int option = 0;
    bool fine = true;
    while (fine && (option = getopt_long(argc, argv, "c:D:p:h:", options, NULL)) != -1) {
        unsigned long number = 0;
        switch (option) {
        case 'D':
            arguments->command.server.data_directory = optarg;
            break;
        case 'c':
            fine = command_set(&arguments->command, NULL, optarg);
            break;
        case 'p':
            fine = command_set(&arguments->command, "port", optarg);
            break;
        case 'h':
            fine = command_set(&arguments->command, "listen_addresses", optarg);
            break;
        case OPTION_WORKERS:
            fine = command_number(optarg, WORLD_WORKERS_MAX, &number);
            if (!fine) {
                (void)fprintf(stderr, "tuskd: invalid number of workers: \"%s\"\n", optarg);
            }
            arguments->command.world.worker_count = (unsigned)number;
            break;
        case OPTION_CACHE:
            fine = command_set(&arguments->command, "shared_buffers", optarg);
            break;
        case OPTION_CHECKPOINT:
            fine = command_set(&arguments->command, "max_wal_size", optarg);
            break;
        case OPTION_CONNECTIONS:
            fine = command_set(&arguments->command, "max_connections", optarg);
            break;
        case OPTION_CHECK:
            arguments->check = true;
            break;
        case OPTION_RESTORE:
            arguments->restore.backup = optarg;
            break;
        case OPTION_ARCHIVE:
            arguments->restore.archive = optarg;
            break;
        case OPTION_TARGET_LSN:
            arguments->restore.target_lsn = optarg;
            break;
        case OPTION_TARGET_TIME:
            arguments->restore.target_time = optarg;
            break;
        case OPTION_HELP:
            (void)fputs(help, stdout);
            return 1;
        case OPTION_VERSION:
            (void)puts("tuskd 0.1.0");
            return 1;
        default:
            fine = false;
            break;
        }
    }
    if (fine && (optind < argc || arguments->command.server.data_directory == NULL)) {
        (void)fputs(optind < argc ? "tuskd: too many arguments\n"
                                  : "tuskd: no data directory given (--data DIR)\n",
            stderr);
        fine = false;
    }
    const struct server_restore_options *restore = &arguments->restore;
    if (fine && restore->backup == NULL &&
        (restore->archive != NULL || restore->target_lsn != NULL || restore->target_time != NULL)) {
        (void)fputs("tuskd: --archive, --target-lsn and --target-time go with --restore\n", stderr);
        fine = false;
    }
    if (fine && restore->target_lsn != NULL && restore->target_time != NULL) {
        (void)fputs("tuskd: a position or a time, not both\n", stderr);
        fine = false;
    }
    if (!fine) {
        (void)fputs("Try \"tuskd --help\".\n", stderr);
    }
    return fine ? 0 : 1 + 2;
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
    int parsed = parse_arguments(argc, argv, &arguments);
    return parsed != 0 ? parsed - 1
                       : command_run(&arguments.command, "server", server_main, &arguments);
}
