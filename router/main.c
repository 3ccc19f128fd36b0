/* router/main.c - tusk-router: the command line. */
#include <getopt.h>
#include <stdio.h>

#include "router/router.h"
#include "server/command.h"

static const char help[] =
    "tusk-router is the door to many Tusk servers: clients see one database.\n"
    "\n"
    "Usage:\n"
    "  tusk-router --data DIR [OPTION]...\n"
    "\n"
    "Options:\n"
    "  -D, --data DIR             directory for settings and the schema; created if it does not\n"
    "                             exist\n"
    "  -c, --set NAME=VALUE       a setting, which counts more than DIR/tusk.conf\n"
    "  -p, --port N               port to listen on (setting port, default 5433; 0: any free one)\n"
    "  -h, --host ADDRESS         address to listen on (listen_addresses, default 127.0.0.1);\n"
    "                             DIR/tusk_hba.conf says who may come from where\n"
    "  -n, --nodes NODES          the shards: name=host:port, separated by commas (router_nodes)\n"
    "      --workers N            worker threads (default: one per processor)\n"
    "      --help                 show this help\n"
    "      --version              show the version\n"
    "\n"
    "Settings stand in DIR/tusk.conf, which the first start writes with all defaults in comments;\n"
    "those of the router begin with router_.\n"
    "\n"
    "Signals: SIGTERM lets clients finish their transactions, SIGINT aborts them.\n";

struct arguments {
    struct command command;
    struct router router;
};

/* 0: go on; else exit with status - 1. */
static int
parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    enum {
        OPTION_HELP = 256,
        OPTION_VERSION,
        OPTION_WORKERS,
    };
    static const struct option options[] = {
        {"data", required_argument, NULL, 'D'},
        {"set", required_argument, NULL, 'c'},
        {"port", required_argument, NULL, 'p'},
        {"host", required_argument, NULL, 'h'},
        {"nodes", required_argument, NULL, 'n'},
        {"workers", required_argument, NULL, OPTION_WORKERS},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
    };
    int option = 0;
    bool fine = true;
    while (fine && (option = getopt_long(argc, argv, "c:D:p:h:n:", options, NULL)) != -1) {
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
        case 'n':
            fine = command_set(&arguments->command, "router_nodes", optarg);
            break;
        case OPTION_WORKERS:
            fine = command_number(optarg, WORLD_WORKERS_MAX, &number);
            if (!fine) {
                (void)fprintf(stderr, "tusk-router: invalid number of workers: \"%s\"\n", optarg);
            }
            arguments->command.world.worker_count = (unsigned)number;
            break;
        case OPTION_HELP:
            (void)fputs(help, stdout);
            return 1;
        case OPTION_VERSION:
            (void)puts("tusk-router 0.1.0");
            return 1;
        default:
            fine = false;
            break;
        }
    }
    if (fine && (optind < argc || arguments->command.server.data_directory == NULL)) {
        (void)fputs(optind < argc ? "tusk-router: too many arguments\n"
                                  : "tusk-router: no directory given (--data DIR)\n",
            stderr);
        fine = false;
    }
    if (!fine) {
        (void)fputs("Try \"tusk-router --help\".\n", stderr);
    }
    return fine ? 0 : 1 + 2;
}

static void
router_main(struct task *task, void *arg)
{
    struct arguments *arguments = arg;
    struct server_options *server = &arguments->command.server;
    if (!command_load(task, &arguments->command)) {
        return;
    }
    arguments->router.config = server->config;
    client_relay(&arguments->router, &arguments->router.relay);
    server->relay = &arguments->router.relay;
    server->opened = router_opened;
    server->closing = router_closing;
    server->arg = &arguments->router;
    command_serve(task, &arguments->command);
}

int
main(int argc, char **argv)
{
    static struct arguments arguments = {.command.program = "tusk-router"};
    int parsed = parse_arguments(argc, argv, &arguments);
    return parsed != 0 ? parsed - 1
                       : command_run(&arguments.command, "router", router_main, &arguments);
}
