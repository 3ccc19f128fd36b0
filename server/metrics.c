#include "server/metrics.h"

#include <string.h>

#include "base/mem.h"

enum {
    REQUEST_SIZE_MAX = 8192,
    PATIENCE_US = 5000000,
};

/* Up to the empty line. False: the client went away, was too slow or said too much. */
static bool
read_request(struct task *task, struct world_socket *socket, char *request)
{
    struct diag diag;
    size_t size = 0;
    int64_t deadline = world_clock_us(task_world(task)) + PATIENCE_US;
    while (size + 1 < REQUEST_SIZE_MAX) {
        size_t got = 0;
        if (world_recv(task, socket, request + size, REQUEST_SIZE_MAX - 1 - size, deadline,
                TASK_TERMINATE, &got, &diag) != ERR_OK ||
            got == 0) {
            return false;
        }
        size += got;
        request[size] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL || strstr(request, "\n\n") != NULL) {
            return true;
        }
    }
    return false;
}

static void
answer(struct task *task, struct metrics_server *metrics, struct world_socket *socket)
{
    struct diag diag;
    struct buffer body = {0};
    struct buffer out = {0};
    char *request = mem_alloc(REQUEST_SIZE_MAX);
    if (read_request(task, socket, request)) {
        size_t size = strcspn(request, "\r\n");
        bool get = strncmp(request, "GET ", 4) == 0;
        bool found = get && strncmp(request + 4, "/metrics", 8) == 0 && size > 12 &&
                     strchr(" ?", request[12]) != NULL;
        if (found) {
            sql_engine_metrics(metrics->engine, &body);
        } else {
            buffer_add_text(&body, get ? "The metrics are at /metrics.\n" : "Only GET.\n");
        }
        buffer_printf(&out,
            "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            "Content-Length: %zu\r\nConnection: close\r\n\r\n",
            found ? "200 OK"
            : get ? "404 Not Found"
                  : "405 Method Not Allowed",
            body.size);
        buffer_add(&out, body.data, body.size);
        (void)world_send(task, socket, out.data, out.size, &diag);
    }
    mem_free(request);
    buffer_destroy(&body);
    buffer_destroy(&out);
}

static void
metrics_main(struct task *task, void *arg)
{
    struct metrics_server *metrics = arg;
    struct world_socket *socket = NULL;
    struct diag diag;
    metrics->task = task;
    while (world_accept(task, metrics->listener, &socket, NULL, &diag) == ERR_OK) {
        answer(task, metrics, socket);
        world_socket_close(task, socket);
    }
    world_listener_close(task, metrics->listener);
    metrics->listener = NULL;
}

enum err
metrics_start(struct task *task, struct metrics_server *metrics, struct sql_engine *engine,
    const char *host, uint16_t port, struct diag *diag)
{
    if (port == 0) {
        return ERR_OK;
    }
    metrics->engine = engine;
    TRY(world_listen(task, host, port, &metrics->listener, diag));
    enum err err = task_spawn(
        task_world(task), (int)task_worker(task), "metrics", metrics_main, metrics, diag);
    if (err != ERR_OK) {
        world_listener_close(task, metrics->listener);
        metrics->listener = NULL;
        return err;
    }
    world_log(task_world(task), "metrics: http://%s:%u/metrics", host, port);
    return ERR_OK;
}

void
metrics_stop(struct task *task, struct metrics_server *metrics)
{
    while (metrics->listener != NULL) {
        if (metrics->task != NULL) {
            task_interrupt(metrics->task, TASK_TERMINATE);
        }
        task_park(task, world_clock_us(task_world(task)) + 20000);
    }
}
