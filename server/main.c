/* server/main.c - tuskd: the command line. */
#include <arpa/inet.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/server.h"

static const char help[] =
    "tuskd is the Tusk database server.\n"
    "\n"
    "Usage:\n"
    "  tuskd --data DIR [OPTION]...\n"
    "\n"
    "Options:\n"
    "  -D, --data DIR             data directory; created if it does not exist\n"
    "  -p, --port N               port to listen on (default 5433; 0: any free one)\n"
    "  -h, --host ADDRESS         address to listen on (default 127.0.0.1); only loopback\n"
    "                             addresses, because clients need no password\n"
    "      --workers N            worker threads (default: one per processor)\n"
    "      --cache-size SIZE      page cache, e.g. 512MB (default 1GB)\n"
    "      --checkpoint-log SIZE  start a checkpoint after so much log (default 1GB)\n"
    "      --max-connections N    most sessions at a time (default 10000)\n"
    "      --check                verify the data file and end; no server may run on it\n"
    "      --help                 show this help\n"
    "      --version              show the version\n"
    "\n"
    "Signals: SIGTERM lets sessions finish what they do, SIGINT aborts them; both end with a\n"
    "checkpoint. SIGQUIT ends at once.\n";

struct arguments {
    struct server_options server;
    struct world_os_options world;
    bool check;
    int status;
};

/* 512MB, 1GB, 64kB, or bytes. */
static bool
parse_size(const char *text, uint64_t *size)
{
    char *end = NULL;
    double number = strtod(text, &end);
    if (end == text || !(number >= 0)) {
        return false;
    }
    static const char *const units[] = {"", "kB", "MB", "GB", "TB"};
    for (int i = 0; i < 5; i++) {
        if (strcasecmp(end, units[i]) == 0) {
            for (int j = 0; j < i; j++) {
                number *= 1024;
            }
            if (number > 1e18) {
                return false;
            }
            *size = (uint64_t)number;
            return true;
        }
    }
    return false;
}

static bool
parse_number(const char *text, unsigned long max, unsigned long *number)
{
    char *end = NULL;
    *number = strtoul(text, &end, 10);
    return end != text && *end == '\0' && text[0] != '-' && *number <= max;
}

static int
bad_value(const char *option, const char *value)
{
    (void)fprintf(stderr, "tuskd: invalid value \"%s\" for option --%s\nTry \"tuskd --help\".\n",
        value, option);
    return 2;
}

static bool
is_loopback(const char *host)
{
    /* Addresses, not names: "127.example.org" can be anybody. */
    struct in_addr address;
    struct in6_addr address6;
    if (inet_pton(AF_INET, host, &address) == 1) {
        return ntohl(address.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &address6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&address6);
    }
    return strcmp(host, "localhost") == 0;
}

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
    };
    static const struct option options[] = {
        {"data", required_argument, NULL, 'D'},
        {"port", required_argument, NULL, 'p'},
        {"host", required_argument, NULL, 'h'},
        {"workers", required_argument, NULL, OPTION_WORKERS},
        {"cache-size", required_argument, NULL, OPTION_CACHE},
        {"checkpoint-log", required_argument, NULL, OPTION_CHECKPOINT},
        {"max-connections", required_argument, NULL, OPTION_CONNECTIONS},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
    };
    int option = 0;
    int index = 0;
    while ((option = getopt_long(argc, argv, "D:p:h:", options, &index)) != -1) {
        unsigned long number = 0;
        switch (option) {
        case 'D':
            arguments->server.data_directory = optarg;
            break;
        case 'p':
            if (!parse_number(optarg, 65535, &number)) {
                return 1 + bad_value("port", optarg);
            }
            arguments->server.port = (uint16_t)number;
            break;
        case 'h':
            if (!is_loopback(optarg)) {
                (void)fprintf(stderr,
                    "tuskd: refusing to listen on \"%s\": clients need no password, so only "
                    "loopback addresses are safe\n",
                    optarg);
                return 1 + 2;
            }
            arguments->server.host = optarg;
            break;
        case OPTION_WORKERS:
            if (!parse_number(optarg, WORLD_WORKERS_MAX, &number)) {
                return 1 + bad_value("workers", optarg);
            }
            arguments->world.worker_count = (unsigned)number;
            break;
        case OPTION_CACHE:
            if (!parse_size(optarg, &arguments->server.cache_size)) {
                return 1 + bad_value("cache-size", optarg);
            }
            break;
        case OPTION_CHECKPOINT:
            if (!parse_size(optarg, &arguments->server.checkpoint_wal_size)) {
                return 1 + bad_value("checkpoint-log", optarg);
            }
            break;
        case OPTION_CONNECTIONS:
            if (!parse_number(optarg, 1000000, &number) || number == 0) {
                return 1 + bad_value("max-connections", optarg);
            }
            arguments->server.connections_max = (uint32_t)number;
            break;
        case OPTION_CHECK:
            arguments->check = true;
            break;
        case OPTION_HELP:
            (void)fputs(help, stdout);
            return 1;
        case OPTION_VERSION:
            (void)puts("tuskd 0.1.0");
            return 1;
        default:
            (void)fputs("Try \"tuskd --help\".\n", stderr);
            return 1 + 2;
        }
    }
    if (optind < argc || arguments->server.data_directory == NULL) {
        (void)fputs(optind < argc ? "tuskd: too many arguments\nTry \"tuskd --help\".\n"
                                  : "tuskd: no data directory given (--data DIR)\n"
                                    "Try \"tuskd --help\".\n",
            stderr);
        return 1 + 2;
    }
    return 0;
}

static void
server_main(struct task *task, void *arg)
{
    struct arguments *arguments = arg;
    static struct diag diag; /* too large for this stack's beginning to be wasted on */
    if (arguments->check) {
        arguments->status = server_check(task, &arguments->server);
        world_stop(task_world(task));
        return;
    }
    if (server_run(task, &arguments->server, &diag) != ERR_OK) {
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
    struct arguments arguments = {.server = {.host = "127.0.0.1", .port = 5433}};
    int parsed = parse_arguments(argc, argv, &arguments);
    if (parsed != 0) {
        return parsed - 1;
    }
    const struct passwd *user = getpwuid(geteuid());
    arguments.server.system_user = user == NULL ? "postgres" : user->pw_name;
    struct world *world = NULL;
    struct diag diag;
    diag_clear(&diag);
    if (world_os_new(&arguments.world, &world, &diag) != ERR_OK ||
        task_spawn(world, 0, "server", server_main, &arguments, &diag) != ERR_OK) {
        (void)fprintf(stderr, "tuskd: %s\n", diag.message);
        return 1;
    }
    world_run(world);
    world_delete(world);
    return arguments.status;
}
