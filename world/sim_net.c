/*
 * world/sim_net.c - the simulator's network: streams in memory that take their time.
 *
 * A connection is two pipes. What is sent arrives in order, after a drawn delay, and is received in
 * pieces of drawn size: whoever believes that one send is one recv is found out. A pipe holds a
 * bounded number of bytes, so a sender whose peer does not read sleeps.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "world/sim_internal.h"

enum {
    PIPE_SIZE_MAX = 64 * 1024,
    FIRST_PORT = 20000,
    SEND_PATIENCE_US = 1000000,
    CONNECT_PATIENCE_US = 3000000,
    CONNECT_AGAIN_US = 200000,
};

/* Bytes under way, with the moment from which the receiver sees them. */
struct parcel {
    struct list_node node;
    int64_t arrive_us;
    size_t size, taken;
    uint8_t bytes[];
};

/* One direction. */
struct pipe {
    struct list_node parcels;
    size_t size;
    int64_t last_arrival_us;
    bool closed; /* by the writer, after the last parcel */
    bool broken; /* by the reader: it will never read again */
    struct task *reader, *writer;
};

struct connection {
    struct pipe pipes[2];
    unsigned ends;
    bool cut; /* for both ends: nothing arrives any more */
    unsigned processes[2];
};

struct sim_socket {
    struct world_socket socket; /* first */
    struct list_node node;      /* sim->sockets */
    struct list_node backlog;   /* of the listener, until accepted */
    struct connection *connection;
    unsigned side; /* reads pipes[side], writes the other */
    uint16_t peer_port;
    int64_t arrive_us;
    bool dead; /* its process has ended */
};

struct sim_listener {
    struct world_listener listener; /* first */
    struct list_node node;
    struct list_node backlog;
    struct task *acceptor;
    unsigned process;
    bool closed; /* while a task sleeps in accept, which then does the rest */
};

static struct sim_listener *
sim_listener_of(struct world_listener *listener)
{
    return (struct sim_listener *)(void *)listener;
}

static bool
are_apart(const struct sim_world *sim, unsigned a, unsigned b)
{
    return (sim->apart[a] >> b & 1) != 0;
}

static struct sim_listener *
find_listener(const struct sim_world *sim, uint16_t port)
{
    LIST_FOREACH (node, &sim->listeners) {
        struct sim_listener *at = LIST_ENTRY(node, struct sim_listener, node);
        if (at->listener.port == port) {
            return at;
        }
    }
    return NULL;
}

enum err
sim__listen(struct task *task, const char *host, uint16_t port, struct world_listener **listener,
    struct diag *diag)
{
    struct sim_world *sim = sim_of(task);
    if (port == 0) {
        port = sim->last_port < FIRST_PORT ? FIRST_PORT : (uint16_t)(sim->last_port + 1);
        while (find_listener(sim, port) != NULL) {
            port++;
        }
        sim->last_port = port;
    }
    if (find_listener(sim, port) != NULL) {
        return diag_set(diag, ERR_IO, "could not listen on \"%s\", port %u: Address already in use",
            host, port);
    }
    struct sim_listener *own = mem_zalloc(sizeof *own);
    own->listener.port = port;
    own->process = task->process;
    list_init(&own->backlog);
    list_push_back(&sim->listeners, &own->node);
    *listener = &own->listener;
    return ERR_OK;
}

static struct sim_socket *
socket_of(struct world_socket *socket)
{
    return (struct sim_socket *)(void *)socket;
}

static struct sim_socket *
socket_new(struct sim_world *sim, struct connection *connection, unsigned side)
{
    struct sim_socket *socket = mem_zalloc(sizeof *socket);
    socket->connection = connection;
    socket->side = side;
    connection->ends++;
    list_push_back(&sim->sockets, &socket->node);
    return socket;
}

static void
wake(struct task *task)
{
    if (task != NULL) {
        task_unpark(task);
    }
}

static void
wake_all(const struct connection *connection)
{
    for (int i = 0; i < 2; i++) {
        wake(connection->pipes[i].reader);
        wake(connection->pipes[i].writer);
    }
}

static void
socket_free(struct sim_socket *socket)
{
    struct connection *connection = socket->connection;
    list_remove(&socket->node);
    list_remove(&socket->backlog);
    mem_free(socket);
    if (--connection->ends > 0) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        while (!list_empty(&connection->pipes[i].parcels)) {
            struct list_node *node = list_pop_front(&connection->pipes[i].parcels);
            mem_free(LIST_ENTRY(node, struct parcel, node));
        }
    }
    mem_free(connection);
}

void
sim__socket_close(struct task *task, struct world_socket *world_socket)
{
    struct sim_world *sim = sim_of(task);
    struct sim_socket *socket = socket_of(world_socket);
    world__trace(&sim->world, (uint64_t)SIM_NET_CLOSE << 56);
    struct pipe *in = &socket->connection->pipes[socket->side];
    struct pipe *out = &socket->connection->pipes[1 - socket->side];
    in->broken = true;
    out->closed = true;
    wake(in->writer);
    wake(out->reader);
    socket_free(socket);
}

void
sim__listener_close(struct task *task, struct world_listener *listener)
{
    struct sim_listener *own = sim_listener_of(listener);
    if (own->acceptor != NULL) {
        ASSERT(!own->closed);
        own->closed = true;
        task_unpark(own->acceptor);
        return;
    }
    while (!list_empty(&own->backlog)) {
        struct list_node *node = list_pop_front(&own->backlog);
        sim__socket_close(task, &LIST_ENTRY(node, struct sim_socket, backlog)->socket);
    }
    list_remove(&own->node);
    mem_free(own);
}

enum err
sim__connect(struct task *task, const char *host, uint16_t port, struct world_socket **socket,
    struct diag *diag)
{
    struct sim_world *sim = sim_of(task);
    sim__pause(task, SIM_NET_CONNECT);
    struct sim_listener *listener = find_listener(sim, port);
    int64_t until = sim->now_us + CONNECT_PATIENCE_US;
    while (listener != NULL && are_apart(sim, task->process, listener->process)) {
        if (sim->now_us >= until || atomic_load(&task->interrupts) != 0) {
            return diag_set(diag, ERR_CONNECTION_FAILURE,
                "could not connect to \"%s\", port %u: Connection timed out", host, port);
        }
        task_park(
            task, until < sim->now_us + CONNECT_AGAIN_US ? until : sim->now_us + CONNECT_AGAIN_US);
        listener = find_listener(sim, port);
    }
    if (listener == NULL || listener->closed) {
        return diag_set(diag, ERR_CONNECTION_FAILURE,
            "could not connect to \"%s\", port %u: Connection refused", host, port);
    }
    struct connection *connection = mem_zalloc(sizeof *connection);
    list_init(&connection->pipes[0].parcels);
    list_init(&connection->pipes[1].parcels);
    connection->processes[0] = task->process;
    connection->processes[1] = listener->process;
    *socket = &socket_new(sim, connection, 0)->socket;
    struct sim_socket *other = socket_new(sim, connection, 1);
    other->peer_port = (uint16_t)(40000 + sim__draw(sim, 20000));
    other->arrive_us =
        sim->now_us + (int64_t)sim__draw(sim, (uint64_t)sim->options.delay_us_max + 1);
    list_push_back(&listener->backlog, &other->backlog);
    wake(listener->acceptor);
    return ERR_OK;
}

enum err
sim__accept(struct task *task, struct world_listener *listener, struct world_socket **socket,
    char *peer, struct diag *diag)
{
    struct sim_world *sim = sim_of(task);
    struct sim_listener *own = sim_listener_of(listener);
    for (;;) {
        if ((atomic_load(&task->interrupts) & TASK_TERMINATE) != 0) {
            return task__interrupt_error(TASK_TERMINATE, diag);
        }
        int64_t until = WORLD_NEVER;
        if (!list_empty(&own->backlog)) {
            struct sim_socket *first = LIST_ENTRY(own->backlog.next, struct sim_socket, backlog);
            if (first->arrive_us <= sim->now_us) {
                list_remove(&first->backlog);
                if (peer != NULL) {
                    (void)snprintf(peer, 64, "127.0.0.1:%u", first->peer_port);
                }
                *socket = &first->socket;
                return ERR_OK;
            }
            until = first->arrive_us;
        }
        own->acceptor = task;
        task_park(task, until);
        own->acceptor = NULL;
        if (own->closed) {
            sim__listener_close(task, listener);
            return diag_set(diag, ERR_ADMIN_SHUTDOWN, "the listener was closed");
        }
    }
}

/* Take from the arrived parcels; at least one has arrived. */
static size_t
pipe_take(struct sim_world *sim, struct pipe *pipe, uint8_t *bytes, size_t size)
{
    size_t limit = 1 + (size_t)sim__draw(sim, size);
    if (sim__draw(sim, 4) != 0) {
        limit = size; /* mostly all there is, as on a real network */
    }
    size_t done = 0;
    while (done < limit && !list_empty(&pipe->parcels)) {
        struct parcel *parcel = LIST_ENTRY(pipe->parcels.next, struct parcel, node);
        if (parcel->arrive_us > sim->now_us) {
            break;
        }
        size_t left = parcel->size - parcel->taken;
        size_t part = limit - done < left ? limit - done : left;
        memcpy(bytes + done, parcel->bytes + parcel->taken, part);
        parcel->taken += part;
        done += part;
        if (parcel->taken == parcel->size) {
            list_remove(&parcel->node);
            mem_free(parcel);
        }
    }
    ASSERT(done > 0 && pipe->size >= done);
    pipe->size -= done;
    wake(pipe->writer);
    return done;
}

enum err
sim__recv(struct task *task, struct world_socket *world_socket, void *bytes, size_t size,
    int64_t deadline_us, int obey, size_t *size_read, struct diag *diag)
{
    struct sim_world *sim = sim_of(task);
    struct sim_socket *socket = socket_of(world_socket);
    struct pipe *pipe = &socket->connection->pipes[socket->side];
    ASSERT(size > 0);
    for (;;) {
        int64_t until = deadline_us;
        bool apart =
            are_apart(sim, socket->connection->processes[0], socket->connection->processes[1]);
        if (socket->connection->cut && !apart) {
            return diag_set(diag, ERR_CONNECTION_FAILURE,
                "could not receive data from client: Connection reset by peer");
        }
        if (apart) { /* whoever brings them together wakes us */
        } else if (!list_empty(&pipe->parcels)) {
            const struct parcel *first = LIST_ENTRY(pipe->parcels.next, struct parcel, node);
            if (first->arrive_us <= sim->now_us) {
                *size_read = pipe_take(sim, pipe, bytes, size);
                world__trace(&sim->world,
                    ((uint64_t)SIM_NET_RECV << 56) ^ (task->serial << 32) ^ *size_read);
                return ERR_OK;
            }
            until = first->arrive_us < until ? first->arrive_us : until;
        } else if (pipe->closed) {
            *size_read = 0;
            return ERR_OK;
        }
        int pending = atomic_load(&task->interrupts) & obey;
        if (pending == TASK_NOTIFY) {
            return diag_set(diag, ERR_NOTIFIED, "woken for a notification");
        }
        if (pending != 0) {
            return task__interrupt_error(pending, diag);
        }
        if (deadline_us != WORLD_NEVER && sim->now_us >= deadline_us) {
            return diag_set(diag, ERR_IDLE_SESSION_TIMEOUT, "timed out waiting for the client");
        }
        pipe->reader = task;
        task_park(task, until);
        pipe->reader = NULL;
    }
}

static void
pipe_put(struct sim_world *sim, struct pipe *pipe, const uint8_t *bytes, size_t size)
{
    struct parcel *parcel = mem_alloc(sizeof *parcel + size);
    *parcel = (struct parcel){.size = size};
    memcpy(parcel->bytes, bytes, size);
    parcel->arrive_us =
        sim->now_us + (int64_t)sim__draw(sim, (uint64_t)sim->options.delay_us_max + 1);
    if (parcel->arrive_us < pipe->last_arrival_us) {
        parcel->arrive_us = pipe->last_arrival_us;
    }
    pipe->last_arrival_us = parcel->arrive_us;
    pipe->size += size;
    list_push_back(&pipe->parcels, &parcel->node);
    wake(pipe->reader);
}

enum err
sim__send(struct task *task, struct world_socket *world_socket, const void *bytes, size_t size,
    struct diag *diag)
{
    struct sim_world *sim = sim_of(task);
    struct sim_socket *socket = socket_of(world_socket);
    struct pipe *pipe = &socket->connection->pipes[1 - socket->side];
    const uint8_t *at = bytes;
    int64_t patience_us = WORLD_NEVER;
    world__trace(&sim->world, ((uint64_t)SIM_NET_SEND << 56) ^ (task->serial << 32) ^ size);
    if (sim__chance(sim, sim->options.faults.cut)) {
        socket->connection->cut = true;
        wake_all(socket->connection);
    }
    while (size > 0) {
        if (pipe->broken || socket->connection->cut) {
            return diag_set(
                diag, ERR_CONNECTION_FAILURE, "could not send data to client: Broken pipe");
        }
        size_t room = PIPE_SIZE_MAX - pipe->size;
        if (room > 0) {
            size_t part = size < room ? size : room;
            pipe_put(sim, pipe, at, part);
            at += part;
            size -= part;
            patience_us = WORLD_NEVER;
            continue;
        }
        int pending = atomic_load(&task->interrupts) & (TASK_TERMINATE | TASK_CANCEL);
        if (pending != 0 && patience_us == WORLD_NEVER) {
            patience_us = sim->now_us + SEND_PATIENCE_US;
        } else if (pending != 0 && sim->now_us >= patience_us) {
            return diag_set(
                diag, ERR_CONNECTION_FAILURE, "the client does not read what it asked for");
        }
        pipe->writer = task;
        task_park(task, patience_us);
        pipe->writer = NULL;
    }
    return ERR_OK;
}

void
sim__net_wake(struct sim_world *sim)
{
    LIST_FOREACH (node, &sim->sockets) {
        wake_all(LIST_ENTRY(node, struct sim_socket, node)->connection);
    }
}

/* What it has sent may still arrive; or the connection is reset and it does not. */
void
sim__net_kill(struct sim_world *sim, unsigned process)
{
    LIST_FOREACH (node, &sim->sockets) {
        struct sim_socket *socket = LIST_ENTRY(node, struct sim_socket, node);
        struct connection *connection = socket->connection;
        if (socket->dead || connection->processes[socket->side] != process) {
            continue;
        }
        struct pipe *in = &connection->pipes[socket->side];
        struct pipe *out = &connection->pipes[1 - socket->side];
        socket->dead = true;
        in->broken = true;
        in->reader = NULL;
        out->closed = true;
        out->writer = NULL;
        connection->cut = connection->cut || sim__draw(sim, 2) == 0;
        wake_all(connection);
    }
    struct list_node *node = sim->listeners.next;
    while (node != &sim->listeners) {
        struct sim_listener *own = LIST_ENTRY(node, struct sim_listener, node);
        node = node->next;
        if (own->process == process) {
            list_remove(&own->node);
            list_init(&own->node);
        }
    }
}

void
sim__net_destroy(struct sim_world *sim)
{
    while (!list_empty(&sim->sockets)) {
        socket_free(LIST_ENTRY(sim->sockets.next, struct sim_socket, node));
    }
    while (!list_empty(&sim->listeners)) {
        struct list_node *node = list_pop_front(&sim->listeners);
        mem_free(LIST_ENTRY(node, struct sim_listener, node));
    }
}
