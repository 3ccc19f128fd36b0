/*
 * Any bytes as what a client sends to a whole server in this process: whatever comes, what comes
 * back are whole messages, and the server lives (its assertions and the sanitizers judge).
 *
 * The first byte of the input says how the rest is meant. Even: as it is, behind a start-up
 * message. Odd: a list of messages, each a type, a length of two bytes, and a body; the lengths of
 * the protocol are put right, so that mutations reach further than the first head.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "server/connection.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    ANSWER_SIZE_MAX = 8 << 20, /* then we hang up, as a client may */
    PATIENCE_MS = 30000,
};

/* ---- the server ---------------------------------------------------------------------------------
 */

static struct {
    struct world *world;
    pthread_t thread;
    char directory[64];
    _Atomic uint16_t port;
    _Atomic int connections;
    struct task *task;
    struct sql_engine *engine;
} server;

struct guest {
    struct connection_options options;
};

static void
nothing(void *arg)
{
    (void)arg;
}

static void
guest_ended(void *arg)
{
    mem_free(arg);
    server.connections--;
}

static void
guest_main(struct task *task, void *arg)
{
    struct guest *guest = arg;
    connection_run(task, &guest->options);
}

static void
server_main(struct task *task, void *arg)
{
    (void)arg;
    static struct diag diag;
    static const char *const settings[] = {"shared_buffers=64MB", "max_statement_memory=64MB"};
    struct sql_config *config = NULL;
    ASSERT(sql_config_load(task, server.directory, settings, 2, &config, &diag) == ERR_OK);
    struct sql_engine_options options = {
        .directory = server.directory, .system_user = "postgres", .config = config};
    ASSERT(sql_engine_open(task, &options, &server.engine, &diag) == ERR_OK);
    sql_config_release(config);
    struct world_listener *listener = NULL;
    ASSERT(world_listen(task, "127.0.0.1", 0, &listener, &diag) == ERR_OK);
    server.task = task;
    server.port = world_listener_port(listener);
    for (;;) {
        struct guest *guest = mem_zalloc(sizeof *guest);
        guest->options = (struct connection_options){.engine = server.engine,
            .started = nothing,
            .trimmed = nothing,
            .ended = guest_ended,
            .arg = guest};
        if (world_accept(task, listener, &guest->options.socket, guest->options.peer, &diag) !=
            ERR_OK) {
            mem_free(guest);
            break;
        }
        server.connections++;
        ASSERT(task_spawn(server.world, WORLD_ANY_WORKER, "guest", guest_main, guest, &diag) ==
               ERR_OK);
    }
    world_listener_close(task, listener);
    while (server.connections > 0) {
        (void)sql_engine_terminate(server.engine, false);
        task_interrupt_clear(task, TASK_TERMINATE);
        task_park(task, world_clock_us(server.world) + 1000);
    }
    sql_engine_close(task, server.engine);
    world_stop(server.world);
}

static void *
thread_main(void *arg)
{
    world_run(arg);
    return NULL;
}

static void
remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        (void)unlink(path);
        return;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char below[512];
            (void)snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
            remove_tree(below);
        }
    }
    (void)closedir(directory);
    (void)rmdir(path);
}

static void
stop_server(void)
{
    task_interrupt(server.task, TASK_TERMINATE);
    (void)pthread_join(server.thread, NULL);
    world_delete(server.world);
    remove_tree(server.directory);
}

static void
start_server(void)
{
    (void)snprintf(server.directory, sizeof server.directory, "/tmp/tusk_fuzz_XXXXXX");
    ASSERT(mkdtemp(server.directory) != NULL);
    static struct diag diag;
    ASSERT(world_os_new(&(struct world_os_options){.worker_count = 2}, &server.world, &diag) ==
           ERR_OK);
    ASSERT(task_spawn(server.world, 0, "server", server_main, NULL, &diag) == ERR_OK);
    ASSERT(pthread_create(&server.thread, NULL, thread_main, server.world) == 0);
    while (server.port == 0) {
        (void)usleep(1000);
    }
    (void)atexit(stop_server);
}

/* ---- the client ---------------------------------------------------------------------------------
 */

/* Whole messages of types that a server may send. */
static void
check_answer(const struct buffer *answer, bool whole)
{
    size_t at = 0;
    while (at < answer->size) {
        if (answer->size - at < 5) {
            ASSERT(!whole);
            return;
        }
        uint32_t size = load_be32(answer->data + at + 1);
        ASSERT(memchr("123CDEGHIKNRSTZcdnstv", answer->data[at], 21) != NULL && size >= 4);
        if (answer->size - at - 1 < size) {
            ASSERT(!whole);
            return;
        }
        ASSERT(answer->data[at] != 'Z' || memchr("ITE", answer->data[at + 5], 3) != NULL);
        at += size + 1;
    }
}

static void
talk(const struct buffer *question)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(server.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    struct buffer answer = {0};
    size_t sent = 0;
    bool whole = false;
    bool closed_out = false;
    while (answer.size < ANSWER_SIZE_MAX) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (sent < question->size) {
            ready.events |= POLLOUT;
        } else if (!closed_out) {
            (void)shutdown(fd, SHUT_WR);
            closed_out = true;
        }
        int found = poll(&ready, 1, PATIENCE_MS);
        if (found < 0 && errno == EINTR) { /* libFuzzer's alarm */
            continue;
        }
        ASSERT(found == 1); /* else the server hangs */
        if ((ready.revents & POLLOUT) != 0) {
            ssize_t put =
                send(fd, question->data + sent, question->size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            sent = put < 0 ? question->size : sent + (size_t)put;
        }
        if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            ssize_t got = recv(fd, buffer_reserve(&answer, 65536), 65536, 0);
            if (got <= 0) {
                whole = got == 0; /* a reset may cut what we had not read */
                break;
            }
            answer.size += (size_t)got;
        }
    }
    (void)close(fd);
    check_answer(&answer, whole);
    buffer_destroy(&answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (server.world == NULL) {
        start_server();
    }
    struct buffer question = {0};
    (void)buffer_extend(&question, 4);
    buffer_add_be32(&question, WIRE_VERSION_3_0);
    static const char settings[] =
        "user\0postgres\0database\0postgres\0statement_timeout\000200\0lock_timeout\000100\0";
    buffer_add(&question, settings, sizeof settings);
    store_be32(question.data, (uint32_t)question.size);
    bool repair = size > 0 && (data[0] & 1) != 0;
    size_t at = size > 0 ? 1 : 0;
    while (repair && size - at >= 3) {
        size_t body = load_be16(data + at + 1);
        body = body > size - at - 3 ? size - at - 3 : body;
        size_t start = wire_begin(&question, (char)data[at]);
        buffer_add(&question, data + at + 3, body);
        wire_end(&question, start);
        at += 3 + body;
    }
    if (!repair) {
        buffer_add(&question, data + at, size - at);
    }
    talk(&question);
    buffer_destroy(&question);
    return 0;
}
