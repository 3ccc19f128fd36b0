/* world/os_socket.c - TCP: non-blocking sockets over the workers' event loops. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "world/os_internal.h"

enum {
    BACKLOG = 4096,
    SEND_PATIENCE_US = 1000000, /* how long a reader may stall before interrupts count */
    DESCRIPTORS_KEPT = 64,      /* for files: a full house must not stop the log */
};

struct os_socket {
    struct world_socket socket; /* first */
    int fd;
    struct os_waiter waiter;
};

struct os_listener {
    struct world_listener listener; /* first */
    int fd;
    struct os_waiter waiter;
    bool closed; /* while a task sleeps in accept, which then does the rest */
};

struct resolve {
    const char *host;
    char port[8];
    bool passive;
    struct addrinfo *found;
    int error;
};

static void
run_resolve(void *arg)
{
    struct resolve *resolve = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (resolve->passive ? AI_PASSIVE : 0)};
    resolve->error = getaddrinfo(resolve->host, resolve->port, &hints, &resolve->found);
}

static enum err
resolve_host(struct task *task, struct resolve *resolve, const char *host, uint16_t port,
    bool passive, struct diag *diag)
{
    resolve->host = host;
    resolve->passive = passive;
    (void)snprintf(resolve->port, sizeof resolve->port, "%u", port);
    os__offload(task, run_resolve, resolve);
    if (resolve->error != 0) {
        return diag_set(diag, ERR_CONNECTION_FAILURE,
            "could not translate host name \"%s\" to address: %s", host,
            gai_strerror(resolve->error));
    }
    return ERR_OK;
}

enum err
os__listen(struct task *task, const char *host, uint16_t port, struct world_listener **listener,
    struct diag *diag)
{
    struct resolve resolve = {0};
    TRY(resolve_host(task, &resolve, host, port, true, diag));
    int one = 1;
    const struct addrinfo *address = resolve.found;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = fd < 0 ? errno : 0;
    if (error == 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
            error = errno;
        }
    }
    freeaddrinfo(resolve.found);
    if (error != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        (void)diag_set(
            diag, ERR_IO, "could not listen on \"%s\", port %u: %s", host, port, strerror(error));
        if (error == EADDRINUSE) {
            diag_hint(diag, "Is another server already running on port %u?", port);
        }
        return ERR_IO;
    }
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    (void)getsockname(fd, (struct sockaddr *)&bound, &size);
    struct os_listener *own = mem_zalloc(sizeof *own);
    own->fd = fd;
    own->listener.port =
        ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&bound)->sin6_port
                                          : ((struct sockaddr_in *)(void *)&bound)->sin_port);
    *listener = &own->listener;
    return ERR_OK;
}

static struct os_socket *
socket_of(struct world_socket *socket)
{
    return (struct os_socket *)(void *)socket;
}

static struct os_socket *
socket_new(int fd)
{
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    struct os_socket *socket = mem_zalloc(sizeof *socket);
    socket->fd = fd;
    socket->waiter.readable = true;
    return socket;
}

/* Descriptors are given lowest first, so a high one means that few are left. */
static bool
is_one_of_the_last(struct task *task, int fd)
{
    struct os_world *own = (struct os_world *)(void *)task_world(task);
    if (own->descriptors_max < 2 * DESCRIPTORS_KEPT ||
        (unsigned)fd < own->descriptors_max - DESCRIPTORS_KEPT) {
        return false;
    }
    int64_t now = world_clock_us(&own->world);
    int64_t last = atomic_load(&own->refused_us);
    if (now - last > 1000000 && atomic_compare_exchange_strong(&own->refused_us, &last, now)) {
        world_log(&own->world,
            "could not accept a connection: of %u file descriptors (ulimit -n) only %d are left, "
            "and those are kept for files",
            own->descriptors_max, DESCRIPTORS_KEPT);
    }
    return true;
}

enum err
os__accept(struct task *task, struct world_listener *listener, struct world_socket **socket,
    char *peer, struct diag *diag)
{
    struct os_listener *own = (struct os_listener *)(void *)listener;
    for (;;) {
        if ((atomic_load(&task->interrupts) & TASK_TERMINATE) != 0) {
            return task__interrupt_error(TASK_TERMINATE, diag);
        }
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        int fd = accept4(own->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && is_one_of_the_last(task, fd)) {
            (void)close(fd);
            continue;
        }
        if (fd >= 0) {
            if (peer != NULL) {
                char host[INET6_ADDRSTRLEN] = "?";
                char port[8] = "?";
                (void)getnameinfo((struct sockaddr *)&from, size, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
                (void)snprintf(peer, 64, "%s:%s", host, port);
            }
            *socket = &socket_new(fd)->socket;
            return ERR_OK;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            TRY(os__wait_fd(task, own->fd, &own->waiter, WORLD_NEVER, diag));
            if (own->closed) {
                os__listener_close(task, listener);
                return diag_set(diag, ERR_ADMIN_SHUTDOWN, "the listener was closed");
            }
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            world_log(task_world(task), "could not accept a connection: %s", strerror(errno));
            task_sleep(task, 100000);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return diag_set(diag, ERR_IO, "could not accept a connection: %s", strerror(errno));
        }
    }
}

void
os__listener_close(struct task *task, struct world_listener *listener)
{
    (void)task;
    struct os_listener *own = (struct os_listener *)(void *)listener;
    if (own->waiter.task != NULL) {
        ASSERT(!own->closed && own->waiter.worker == task->worker);
        own->closed = true;
        task_unpark(own->waiter.task);
        return;
    }
    os__forget_fd(own->fd, &own->waiter);
    (void)close(own->fd);
    mem_free(own);
}

enum err
os__connect(struct task *task, const char *host, uint16_t port, struct world_socket **socket_out,
    struct diag *diag)
{
    struct resolve resolve = {0};
    TRY(resolve_host(task, &resolve, host, port, false, diag));
    int error = 0;
    for (const struct addrinfo *at = resolve.found; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            error = errno;
            continue;
        }
        struct os_socket *made = socket_new(fd);
        error = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
        if (error == EINPROGRESS) {
            socklen_t size = sizeof error;
            struct sockaddr_storage there;
            socklen_t there_size = sizeof there;
            bool terminate = false;
            do {
                if (os__wait_fd(task, fd, &made->waiter, WORLD_NEVER, NULL) != ERR_OK) {
                    error = ENOMEM;
                    break;
                }
                (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
                terminate = (atomic_load(&task->interrupts) & TASK_TERMINATE) != 0;
            } while (error == 0 && getpeername(fd, (struct sockaddr *)&there, &there_size) != 0 &&
                     !terminate);
            if (error == 0 && terminate) {
                error = EINTR;
            }
        }
        if (error == 0) {
            *socket_out = &made->socket;
            break;
        }
        os__socket_close(task, &made->socket);
    }
    freeaddrinfo(resolve.found);
    if (error != 0) {
        return diag_set(diag, ERR_CONNECTION_FAILURE, "could not connect to \"%s\", port %u: %s",
            host, port, strerror(error));
    }
    return ERR_OK;
}

enum err
os__recv(struct task *task, struct world_socket *world_socket, void *bytes, size_t size,
    int64_t deadline_us, int obey, size_t *size_read, struct diag *diag)
{
    struct os_socket *socket = socket_of(world_socket);
    for (;;) {
        if (socket->waiter.readable) {
            ssize_t got = recv(socket->fd, bytes, size, 0);
            if (got >= 0) {
                /* A short read drained the socket: the next bytes bring an edge. At EOF keep
                 * reading EOF. */
                socket->waiter.readable = got == 0 || (size_t)got == size ||
                                          !socket->waiter.registered || socket->waiter.hung_up;
                *size_read = (size_t)got;
                return ERR_OK;
            }
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                return diag_set(diag, ERR_CONNECTION_FAILURE,
                    "could not receive data from client: %s", strerror(errno));
            }
            /* Before it is registered, bytes come without an edge. */
            socket->waiter.readable = !socket->waiter.registered;
        }
        int pending = atomic_load(&task->interrupts) & obey;
        if (pending == TASK_NOTIFY) {
            return diag_set(diag, ERR_NOTIFIED, "woken for a notification");
        }
        if (pending != 0) {
            return task__interrupt_error(pending, diag);
        }
        if (deadline_us != WORLD_NEVER && world_clock_us(task_world(task)) >= deadline_us) {
            return diag_set(diag, ERR_IDLE_SESSION_TIMEOUT, "timed out waiting for the client");
        }
        TRY(os__wait_fd(task, socket->fd, &socket->waiter, deadline_us, diag));
    }
}

enum err
os__send(struct task *task, struct world_socket *world_socket, const void *bytes, size_t size,
    struct diag *diag)
{
    struct os_socket *socket = socket_of(world_socket);
    const uint8_t *at = bytes;
    int64_t patience_us = WORLD_NEVER;
    while (size > 0) {
        ssize_t put = send(socket->fd, at, size, MSG_NOSIGNAL);
        if (put >= 0) {
            at += put;
            size -= (size_t)put;
            patience_us = WORLD_NEVER;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            return diag_set(
                diag, ERR_CONNECTION_FAILURE, "could not send data to client: %s", strerror(errno));
        }
        int64_t now = world_clock_us(task_world(task));
        int pending = atomic_load(&task->interrupts) & (TASK_TERMINATE | TASK_CANCEL);
        if (pending != 0) {
            if (patience_us == WORLD_NEVER) {
                patience_us = now + SEND_PATIENCE_US;
            } else if (now >= patience_us) {
                return diag_set(
                    diag, ERR_CONNECTION_FAILURE, "the client does not read what it asked for");
            }
        }
        bool readable = socket->waiter.readable;
        TRY(os__wait_fd(task, socket->fd, &socket->waiter, patience_us, diag));
        socket->waiter.readable = socket->waiter.readable || readable;
    }
    return ERR_OK;
}

void
os__socket_close(struct task *task, struct world_socket *world_socket)
{
    (void)task;
    struct os_socket *socket = socket_of(world_socket);
    os__forget_fd(socket->fd, &socket->waiter);
    (void)close(socket->fd);
    mem_free(socket);
}
