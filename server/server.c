/*
 * server/server.c - from a data directory to clients served, and back.
 *
 * SIGTERM: no new connections; sessions end when their statement or transaction has; then a
 * checkpoint. SIGINT: sessions are aborted at once; then a checkpoint. A second signal after
 * SIGTERM is as SIGINT. SIGQUIT ends at once, without a checkpoint: recovery does the rest. Before
 * the server listens, SIGTERM and SIGINT end it as soon as recovery looks up.
 *
 * Connections that have no session yet are known here only (`starting`); the engine knows the
 * others. At the end both are told.
 */
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/latch.h"
#include "base/list.h"
#include "base/mem.h"
#include "saga/saga.h"
#include "server/connection.h"
#include "server/metrics.h"
#include "server/tls.h"

enum {
    HOUSEKEEPING_US = 20000000
};

enum {
    STOP_RUNNING,
    STOP_SMART, /* SIGTERM */
    STOP_FAST,  /* SIGINT */
    STOP_DONE,  /* the sessions are gone: only SIGQUIT counts */
};

struct server {
    struct world *world;
    struct sql_engine *engine;
    struct task *task;
    /* Lives on this worker too, and until the last session is gone: sessions may wake it. */
    struct task *_Atomic housekeeper;
    bool housekeeper_ended;
    _Atomic bool reload;       /* SIGHUP came */
    _Atomic bool reload_files; /* pg_reload_conf() was called: the settings are read already */
    const char *directory;
    const struct connection_relay *relay;
    struct host_rules *rules; /* of connections to come; those before may hold older ones */
    struct world_tls *tls;    /* likewise; NULL: none */
    uint8_t secret[32];
    _Atomic int stop;
    _Atomic uint32_t connections;
    _Atomic bool untidy; /* idle connections have freed memory that the heap still holds */
    struct latch latch;  /* the next */
    struct list_node starting;

    struct txn_recovery_progress progress;
    struct world_listener *listener;
    struct task *greeter; /* while the engine opens; on this worker too */
    bool opened;
    bool greeter_ended;
};

struct accepted {
    struct server *server;
    struct connection_options options;
    struct task *task;
    struct list_node node; /* server->starting */
};

static void
on_signal(void *arg, int signal_number)
{
    struct server *server = arg;
    if (signal_number == SIGQUIT) {
        world_die(server->world, "received SIGQUIT: ends at once, recovery follows at next start");
    }
    if (signal_number == SIGHUP) {
        server->reload = true;
        if (server->housekeeper != NULL) {
            task_unpark(server->housekeeper);
        }
        return;
    }
    if (signal_number != SIGTERM && signal_number != SIGINT) {
        return;
    }
    int stop = server->stop;
    if (stop == STOP_DONE) {
        return;
    }
    server->stop = signal_number == SIGINT || stop == STOP_SMART ? STOP_FAST : STOP_SMART;
    if (stop == STOP_RUNNING) {
        world_log(server->world, "received %s: shutting down",
            signal_number == SIGTERM ? "SIGTERM" : "SIGINT");
    }
    task_interrupt(server->task, TASK_TERMINATE); /* ends the wait in world_accept */
}

static void
connection_started(void *arg)
{
    struct accepted *accepted = arg;
    latch_acquire(&accepted->server->latch);
    list_remove(&accepted->node);
    latch_release(&accepted->server->latch);
}

static void
connection_trimmed(void *arg)
{
    struct accepted *accepted = arg;
    accepted->server->untidy = true;
}

static void
connection_ended(void *arg)
{
    struct accepted *accepted = arg;
    struct server *server = accepted->server;
    mem_free(accepted);
    server->untidy = true;
    server->connections--;
}

static void
connection_main(struct task *task, void *arg)
{
    struct accepted *accepted = arg;
    accepted->task = task;
    latch_acquire(&accepted->server->latch);
    list_push_back(&accepted->server->starting, &accepted->node);
    latch_release(&accepted->server->latch);
    connection_run(task, &accepted->options);
}

static void
run_mem_trim(void *arg)
{
    (void)arg;
    mem_trim();
}

static enum err
read_rules(struct task *task, struct server *server, struct diag *diag)
{
    struct host_rules *older = server->rules;
    TRY(host_rules_read(task, server->directory, older, &server->rules, diag));
    return ERR_OK;
}

static void
reload_settings(struct task *task, struct server *server)
{
    struct diag *diag = mem_zalloc(sizeof *diag);
    world_log(server->world, "received SIGHUP: reading the configuration files again");
    if (sql_engine_reload(task, server->engine, diag) != ERR_OK) {
        world_log(server->world, "configuration not changed: %s. %s", diag->message, diag->detail);
    }
    mem_free(diag);
}

/* What the server itself reads: host rules, certificate, key. */
static void
reload_files(struct task *task, struct server *server)
{
    struct diag *diag = mem_zalloc(sizeof *diag);
    if (read_rules(task, server, diag) != ERR_OK) {
        world_log(server->world, "host rules not changed: %s", diag->message);
    }
    struct sql_config *config = sql_engine_config(server->engine);
    struct world_tls *tls = NULL;
    if (server_tls_load(task, server->directory, config, &tls, diag) == ERR_OK) {
        world_tls_release(server->tls);
        server->tls = tls;
    } else {
        world_log(server->world, "TLS not changed: %s", diag->message);
    }
    sql_config_release(config);
    mem_free(diag);
}

/* On a session's task. */
static void
on_reload_conf(void *arg)
{
    struct server *server = arg;
    server->reload_files = true;
    struct task *housekeeper = server->housekeeper;
    if (housekeeper != NULL) {
        task_unpark(housekeeper);
    }
}

/* Reads the configuration again when asked to, and gives what idle connections have freed back to
 * the system, once in a while. */
static void
housekeeper_main(struct task *task, void *arg)
{
    struct server *server = arg;
    server->housekeeper = task;
    while (server->stop != STOP_DONE) {
        if (!server->reload && !server->reload_files) {
            task_park(task, world_clock_us(server->world) + HOUSEKEEPING_US);
        }
        if (atomic_exchange(&server->reload, false) && server->stop == STOP_RUNNING) {
            reload_settings(task, server);
            server->reload_files = true;
        }
        if (atomic_exchange(&server->reload_files, false)) {
            reload_files(task, server);
        }
        if (server->stop == STOP_RUNNING && atomic_exchange(&server->untidy, false)) {
            world_offload(task, run_mem_trim, NULL);
        }
    }
    server->housekeeper = NULL;
    server->housekeeper_ended = true;
    task_unpark(server->task);
}

/* `engine` NULL: until it is open. */
static enum err
serve(struct task *task, struct server *server, struct sql_engine *engine, struct diag *diag)
{
    while (server->stop == STOP_RUNNING && (engine != NULL || !server->opened)) {
        struct accepted *accepted = mem_zalloc(sizeof *accepted);
        accepted->server = server;
        accepted->options.engine = engine;
        accepted->options.relay = server->relay;
        accepted->options.secret = server->secret;
        accepted->options.progress = &server->progress;
        accepted->options.started = connection_started;
        accepted->options.trimmed = connection_trimmed;
        accepted->options.ended = connection_ended;
        accepted->options.arg = accepted;
        enum err err = world_accept(
            task, server->listener, &accepted->options.socket, accepted->options.peer, diag);
        if (err == ERR_OK) {
            /* As they are now, not as they were when the wait began. */
            accepted->options.rules = server->rules;
            accepted->options.tls = world_tls_retain(server->tls);
            server->connections++;
            err = task_spawn(
                server->world, WORLD_ANY_WORKER, "connection", connection_main, accepted, diag);
            if (err != ERR_OK) {
                world_log(server->world, "connection from %s refused: %s", accepted->options.peer,
                    diag->message);
                world_socket_close(task, accepted->options.socket);
                world_tls_release(accepted->options.tls);
                server->connections--;
                mem_free(accepted);
            }
            continue;
        }
        mem_free(accepted);
        if (err != ERR_ADMIN_SHUTDOWN) {
            return err;
        }
    }
    return ERR_OK;
}

static void
end_starting(struct server *server)
{
    latch_acquire(&server->latch);
    LIST_FOREACH (node, &server->starting) {
        task_interrupt(LIST_ENTRY(node, struct accepted, node)->task, TASK_TERMINATE);
    }
    latch_release(&server->latch);
}

/* Ask the sessions to end until none is left. */
static void
drain(struct task *task, struct server *server)
{
    task_interrupt_clear(task, TASK_TERMINATE);
    while (server->connections > 0) {
        end_starting(server);
        if (server->engine != NULL) {
            (void)sql_engine_terminate(server->engine, server->stop == STOP_SMART);
        }
        task_park(task, world_clock_us(server->world) + 20000);
        task_interrupt_clear(task, TASK_TERMINATE);
    }
}

/* ---- while the engine opens --------------------------------------------------------------------
 */

/* Tells whoever comes that the server, or what stands behind it, starts (57P03). */
static void
greeter_main(struct task *task, void *arg)
{
    struct server *server = arg;
    server->greeter = task;
    struct diag diag;
    if (serve(task, server, NULL, &diag) != ERR_OK) {
        world_log(
            server->world, "clients are not answered until the start is over: %s", diag.message);
    }
    server->greeter = NULL;
    server->greeter_ended = true;
    task_unpark(server->task);
}

static enum err
begin_greeter(struct task *task, struct server *server, struct diag *diag)
{
    server->opened = server->greeter_ended = false;
    return task_spawn(server->world, (int)task_worker(task), "greeter", greeter_main, server, diag);
}

static void
end_greeter(struct task *task, struct server *server)
{
    server->opened = true;
    while (!server->greeter_ended) {
        if (server->greeter != NULL) {
            task_interrupt(server->greeter, TASK_TERMINATE); /* ends the wait in world_accept */
        }
        task_park(task, world_clock_us(server->world) + 1000);
    }
}

static enum err
open_engine(struct task *task, struct server *server, const struct server_options *options,
    struct diag *diag)
{
    struct sql_engine_options engine = {
        .directory = options->data_directory,
        .system_user = options->system_user,
        .config = options->config,
        .arguments = options->arguments,
        .argument_count = options->argument_count,
        .recovery_progress = &server->progress,
        .reloaded = on_reload_conf,
        .reloaded_arg = server,
        .wal_segment_size = options->wal_segment_size,
        .checkpoint_wal_size = options->checkpoint_wal_size,
    };
    TRY(begin_greeter(task, server, diag));
    struct sql_engine *opened = NULL;
    enum err err = sql_engine_open(task, &engine, &opened, diag);
    end_greeter(task, server);
    server->engine = opened;
    server->directory = options->data_directory;
    world_random_bytes(server->world, server->secret, sizeof server->secret);
    if (err == ERR_OK) {
        err = read_rules(task, server, diag);
        if (err != ERR_OK) {
            sql_engine_close(task, opened);
        }
    }
    return err;
}

/* ---- the whole ---------------------------------------------------------------------------------
 */

/* It may wait for other servers. */
static enum err
open_relay(struct task *task, struct server *server, const struct server_options *options,
    struct diag *diag)
{
    TRY(begin_greeter(task, server, diag));
    enum err err = options->opened(task, options->arg, server->engine, diag);
    end_greeter(task, server);
    server->relay = options->relay;
    return err;
}

static enum err
serve_clients(struct task *task, struct server *server, const struct server_options *options,
    struct diag *diag)
{
    const char *host = sql_config_text(options->config, "listen_addresses");
    enum err err = task_spawn(
        server->world, (int)task_worker(task), "housekeeper", housekeeper_main, server, diag);
    bool kept = err == ERR_OK;
    struct metrics_server metrics = {0};
    if (kept) {
        err = metrics_start(task, &metrics, server->engine, host,
            (uint16_t)sql_config_integer(options->config, "metrics_port"), diag);
    }
    bool opened = err == ERR_OK && options->opened != NULL;
    if (opened) {
        err = open_relay(task, server, options, diag);
        opened = err == ERR_OK;
    }
    if (err == ERR_OK) {
        world_log(server->world, "ready: listening on %s, port %u, data directory \"%s\"", host,
            world_listener_port(server->listener), options->data_directory);
        err = serve(task, server, server->engine, diag);
    }
    world_listener_close(task, server->listener);
    server->listener = NULL;
    task_interrupt_clear(task, TASK_TERMINATE);
    metrics_stop(task, &metrics);
    drain(task, server);
    if (opened) {
        options->closing(task, options->arg);
    }
    server->stop = STOP_DONE;
    while (kept && !server->housekeeper_ended) {
        if (server->housekeeper != NULL) {
            task_unpark(server->housekeeper);
        }
        task_park(task, world_clock_us(server->world) + 20000);
    }
    task_interrupt_clear(task, TASK_TERMINATE);
    struct diag checkpoint_diag;
    enum err last = sql_engine_checkpoint(task, server->engine, &checkpoint_diag);
    if (last != ERR_OK) { /* the log has everything; but whoever stops us should look */
        world_log(server->world, "the last checkpoint failed: %s", checkpoint_diag.message);
        if (err == ERR_OK || err == ERR_ADMIN_SHUTDOWN) {
            *diag = checkpoint_diag;
            err = last;
        }
    }
    return err;
}

enum err
server_run(struct task *task, const struct server_options *options, struct diag *diag)
{
    struct server server = {.world = task_world(task), .task = task};
    list_init(&server.starting);
    world_on_signal(server.world, on_signal, &server);
    const char *host = sql_config_text(options->config, "listen_addresses");
    uint16_t port = (uint16_t)sql_config_integer(options->config, "port");
    enum err err =
        server_tls_load(task, options->data_directory, options->config, &server.tls, diag);
    if (err == ERR_OK) {
        err = world_listen(task, host, port, &server.listener, diag);
    }
    if (err == ERR_OK) {
        err = open_engine(task, &server, options, diag);
        if (err == ERR_OK) {
            struct saga_room *sagas = NULL;
            err = saga_open(task, server.engine, &sagas, diag);
            if (err == ERR_OK) {
                err = serve_clients(task, &server, options, diag);
                saga_close(task, sagas);
            } else {
                world_listener_close(task, server.listener);
                drain(task, &server);
            }
            sql_engine_close(task, server.engine);
        } else {
            world_listener_close(task, server.listener);
            drain(task, &server);
        }
    }
    world_on_signal(server.world, NULL, NULL);
    host_rules_delete(server.rules);
    world_tls_release(server.tls);
    if (err == ERR_ADMIN_SHUTDOWN && server.stop != STOP_RUNNING) {
        err = ERR_OK; /* told to end while it started */
    }
    if (err == ERR_OK) {
        world_log(server.world, "shut down");
    }
    return err;
}
