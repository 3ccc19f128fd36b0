/* router/router.c - from settings to a router that serves, and back. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "router/router.h"

enum {
    US_PER_MS = 1000,
};

/* name=host:port, separated by blanks or commas. */
static enum err
read_nodes(struct router *router, const char *text, struct diag *diag)
{
    while (*text != '\0') {
        size_t size = strcspn(text, " ,");
        const char *end = text + size;
        if (size > 0) {
            struct router_node *node =
                &router->nodes[router->node_count < ROUTER_NODES_MAX ? router->node_count : 0];
            const char *equals = memchr(text, '=', size);
            if (router->node_count == ROUTER_NODES_MAX) {
                return diag_set(diag, ERR_CONFIG_FILE, "too many nodes in router_nodes");
            }
            if (equals == NULL || equals == text || equals - text >= ROUTER_NAME_MAX ||
                !router_node_address(node, equals + 1, (size_t)(end - equals - 1))) {
                return diag_set(diag, ERR_CONFIG_FILE,
                    "invalid node in router_nodes: \"%.*s\" is not name=host:port", (int)size,
                    text);
            }
            memcpy(node->name, text, (size_t)(equals - text));
            router->node_count++;
        }
        text = end + (*end != '\0');
    }
    if (router->node_count == 0) {
        return diag_set(diag, ERR_CONFIG_FILE, "no node is known: set router_nodes");
    }
    return ERR_OK;
}

static void
read_limits(struct router *router)
{
    const struct sql_config *config = router->config;
    struct router_limits *limits = &router->limits;
    uint32_t workers = world_worker_count(router->world);
    uint32_t pool = (uint32_t)sql_config_integer(config, "router_pool_size");
    limits->pool_size = (pool + workers - 1) / workers;
    limits->queue_size = (uint32_t)sql_config_integer(config, "router_queue_size");
    limits->queue_timeout_us = US_PER_MS * sql_config_integer(config, "router_queue_timeout");
    limits->connect_timeout_us = US_PER_MS * sql_config_integer(config, "router_connect_timeout");
    limits->prepared_max = (uint32_t)sql_config_integer(config, "router_prepared_max");
    limits->breaker_failures = (uint32_t)sql_config_integer(config, "router_breaker_failures");
    limits->breaker_pause_us = US_PER_MS * sql_config_integer(config, "router_breaker_pause");
    limits->sync_pause_us = US_PER_MS * sql_config_integer(config, "router_sync");
    limits->balance_pause_us = US_PER_MS * sql_config_integer(config, "router_balance_pause");
    limits->replicated_timeout_us =
        US_PER_MS * sql_config_integer(config, "router_replicated_timeout");
    limits->pull_size = 1024 * (uint64_t)sql_config_integer(config, "router_pull_size");
    limits->retries = (uint32_t)sql_config_integer(config, "router_retries");
}

/* As the server's own files: in its directory, unless the path begins at the root. */
static char *
file_path(const struct router *router, const char *name)
{
    struct buffer path = {0};
    buffer_printf(&path, "%s%s%s", name[0] == '/' || name[0] == '\0' ? "" : router->directory,
        name[0] == '/' || name[0] == '\0' ? "" : "/", name);
    buffer_add_u8(&path, 0);
    return (char *)path.data;
}

/* What the router shows the shards and wants to be shown. A file that is of no use is told now
 * rather than to the first client. */
static enum err
read_access(struct task *task, struct router *router, struct diag *diag)
{
    const struct sql_config *config = router->config;
    const char *root = sql_config_text(config, "router_sslrootcert");
    bool known = login_tls_mode(sql_config_text(config, "router_sslmode"), &router->tls_mode);
    ASSERT(known);
    router->password_file = file_path(router, sql_config_text(config, "router_password_file"));
    if (router->password_file[0] != '\0') {
        TRY(login_passfile_check(task, router->password_file, diag));
    }
    if (router->tls_mode == TLS_DISABLE) {
        return ERR_OK;
    }
    char *root_path = file_path(router, root);
    struct login_tls_files files = {.root = root_path};
    enum err err = login_tls_load(task, router->tls_mode, &files, &router->tls, diag);
    mem_free(root_path);
    return err;
}

enum err
router_opened(struct task *task, void *arg, struct sql_engine *engine, struct diag *diag)
{
    struct router *router = arg;
    router->world = task_world(task);
    router->engine = engine;
    TRY(read_nodes(router, sql_config_text(router->config, "router_nodes"), diag));
    read_limits(router);
    TRY(read_access(task, router, diag));
    uint32_t count = world_worker_count(router->world);
    router->workers = mem_array(count, sizeof *router->workers);
    for (uint32_t i = 0; i < count; i++) {
        struct worker *worker = &router->workers[i];
        worker->router = router;
        list_init(&worker->pools);
        list_init(&worker->clients);
        list_init(&worker->ages);
        list_init(&worker->rounds.waiters);
    }
    bool several = router->node_count > 1;
    enum err err = several ? ERR_OK : nodes_has_cluster(task, router, &several, diag);
    err = err == ERR_OK && several ? cluster_open(task, router, diag) : err;
    if (err == ERR_OK && router->cluster != NULL) {
        err = sagas_open(task, router, diag);
        err = err == ERR_OK ? control_open(task, router, diag) : err;
    }
    router_views_register(router);
    listeners_create(router);
    if (err != ERR_OK) {
        router_closing(task, router);
    }
    return err;
}

struct closing {
    struct worker *worker;
    struct task *waiter;
    _Atomic bool *done;
};

/* A worker's sockets are its own tasks' to close. */
static void
close_main(struct task *task, void *arg)
{
    struct closing *closing = arg;
    struct task *waiter = closing->waiter;
    _Atomic bool *done = closing->done;
    worker_close(task, closing->worker);
    statements_destroy(closing->worker);
    *done = true;
    task_unpark(waiter);
}

void
router_closing(struct task *task, void *arg)
{
    struct router *router = arg;
    listeners_close(task, router);
    control_close(task, router);
    sagas_close(task, router);
    cluster_close(task, router);
    for (uint32_t i = 0; i < world_worker_count(router->world); i++) {
        _Atomic bool done = false;
        struct closing closing = {.worker = &router->workers[i], .waiter = task, .done = &done};
        struct diag diag;
        if (task_spawn(router->world, (int)i, "router close", close_main, &closing, &diag) !=
            ERR_OK) {
            world_log(router->world, "connections to shards are not closed: %s", diag.message);
            continue;
        }
        while (!done) {
            task_park(task, world_clock_us(router->world) + 10000);
        }
    }
    mem_free(router->workers);
    router->workers = NULL;
    world_tls_release(router->tls);
    router->tls = NULL;
    mem_free(router->password_file);
    router->password_file = NULL;
}
