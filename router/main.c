/* router/main.c - tusk-router: the command line. */
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "router/router.h"

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

enum {
    SETTINGS_MAX = 256
};

struct arguments {
    struct server_options server;
    struct world_os_options world;
    char *settings[SETTINGS_MAX]; /* name=value */
    uint32_t setting_count;
    struct router router;
    int status;
};

static bool
set(struct arguments *arguments, const char *name, const char *value)
{
    if (arguments->setting_count == SETTINGS_MAX) {
        (void)fputs("tusk-router: too many settings\n", stderr);
        return false;
    }
    size_t size = strlen(name) + strlen(value) + 2;
    char *setting = mem_alloc(size);
    (void)snprintf(setting, size, "%s%s%s", name, name[0] == '\0' ? "" : "=", value);
    arguments->settings[arguments->setting_count++] = setting;
    return true;
}

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
        char *end = NULL;
        unsigned long number = 0;
        switch (option) {
        case 'D':
            arguments->server.data_directory = optarg;
            break;
        case 'c':
            fine = set(arguments, "", optarg);
            break;
        case 'p':
            fine = set(arguments, "port", optarg);
            break;
        case 'h':
            fine = set(arguments, "listen_addresses", optarg);
            break;
        case 'n':
            fine = set(arguments, "router_nodes", optarg);
            break;
        case OPTION_WORKERS:
            number = strtoul(optarg, &end, 10);
            fine = end != optarg && *end == '\0' && number <= WORLD_WORKERS_MAX;
            if (!fine) {
                (void)fprintf(stderr, "tusk-router: invalid number of workers: \"%s\"\n", optarg);
            }
            arguments->world.worker_count = (unsigned)number;
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
    if (fine && (optind < argc || arguments->server.data_directory == NULL)) {
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
    static struct diag diag; /* too large for this stack's beginning to be wasted on */
    struct server_options *server = &arguments->server;
    if (sql_config_load(task, server->data_directory, server->arguments, server->argument_count,
            &server->config, &diag) != ERR_OK) {
        (void)fprintf(stderr, "tusk-router: %s%s%s\n", diag.message,
            diag.detail[0] == '\0' ? "" : ". ", diag.detail);
        arguments->status = 2;
        world_stop(task_world(task));
        return;
    }
    arguments->router.config = server->config;
    client_relay(&arguments->router, &arguments->router.relay);
    server->relay = &arguments->router.relay;
    server->opened = router_opened;
    server->closing = router_closing;
    server->arg = &arguments->router;
    if (server_run(task, server, &diag) != ERR_OK) {
        world_log(task_world(task), "FATAL: %s", diag.message);
        if (diag.detail[0] != '\0') {
            world_log(task_world(task), "DETAIL: %s", diag.detail);
        }
        if (diag.hint[0] != '\0') {
            world_log(task_world(task), "HINT: %s", diag.hint);
        }
        arguments->status = 1;
    }
    world_stop(task_world(task));
}

int
main(int argc, char **argv)
{
    static struct arguments arguments;
    int parsed = parse_arguments(argc, argv, &arguments);
    if (parsed != 0) {
        return parsed - 1;
    }
    arguments.server.arguments = (const char *const *)arguments.settings;
    arguments.server.argument_count = arguments.setting_count;
    const struct passwd *user = getpwuid(geteuid());
    arguments.server.system_user = user == NULL ? "postgres" : user->pw_name;
    struct world *world = NULL;
    struct diag diag;
    diag_clear(&diag);
    if (world_os_new(&arguments.world, &world, &diag) != ERR_OK ||
        task_spawn(world, 0, "router", router_main, &arguments, &diag) != ERR_OK) {
        (void)fprintf(stderr, "tusk-router: %s\n", diag.message);
        return 1;
    }
    world_run(world);
    world_delete(world);
    sql_config_release(arguments.server.config);
    for (uint32_t i = 0; i < arguments.setting_count; i++) {
        mem_free(arguments.settings[i]);
    }
    return arguments.status;
}
