/* router/main.c - tusk-router: the command line. */
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

static void
router_main(struct task *task, void *arg)
{
    struct arguments *arguments = arg;
    struct server_options *server = &arguments->command.server;
    if (!command_load(task, &arguments->command)) {
        return;
    }
    arguments->router.config = server->config;
    arguments->router.directory = server->data_directory;
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
    static const struct command_option options[] = {
        {.name = "nodes", .letter = 'n', .setting = "router_nodes"},
        {.name = NULL},
    };
    enum command_parsed parsed = command_parse(&arguments.command, argc, argv, help, options);
    return command_run(&arguments.command, parsed, "router", router_main, &arguments);
}
