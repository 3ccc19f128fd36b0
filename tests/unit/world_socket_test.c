/* Sockets, on both back ends: echo over workers, ends of streams, deadlines, interrupts.
 * ctest: threads */
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/world_run.h"

enum {
    CLIENTS = 20,
    ROUNDS = 50,
    LARGE = 1 << 20,
};

struct game {
    struct world_listener *listener;
    uint16_t port;
    struct task *main;
    _Atomic int clients_left;
    _Atomic int servers_left; /* echo tasks, and the acceptor */
    int round_count;
};

struct seat {
    struct game *game;
    struct world_socket *socket;
};

static void
leave(_Atomic int *left, struct task *main)
{
    if (atomic_fetch_sub(left, 1) == 1) {
        task_unpark(main);
    }
}

static void
echo_main(struct task *task, void *arg)
{
    struct seat seat = *(struct seat *)arg;
    mem_free(arg);
    char bytes[8192];
    struct diag diag;
    for (;;) {
        size_t size = 0;
        if (world_recv(task, seat.socket, bytes, sizeof bytes, WORLD_NEVER, TASK_TERMINATE, &size,
                &diag) != ERR_OK ||
            size == 0 || world_send(task, seat.socket, bytes, size, &diag) != ERR_OK) {
            break;
        }
    }
    world_socket_close(task, seat.socket);
    leave(&seat.game->servers_left, seat.game->main);
}

static void
accept_main(struct task *task, void *arg)
{
    struct game *game = arg;
    struct diag diag;
    struct world_socket *socket = NULL;
    char peer[64];
    while (world_accept(task, game->listener, &socket, peer, &diag) == ERR_OK) {
        ASSERT(strncmp(peer, "127.0.0.1:", 10) == 0);
        struct seat *seat = mem_alloc(sizeof *seat);
        *seat = (struct seat){game, socket};
        atomic_fetch_add(&game->servers_left, 1);
        ASSERT(task_spawn(task_world(task), WORLD_ANY_WORKER, "echo", echo_main, seat, &diag) ==
               ERR_OK);
    }
    ASSERT(diag.code == ERR_ADMIN_SHUTDOWN);
    leave(&game->servers_left, game->main);
}

static void
receive_all(struct task *task, struct world_socket *socket, uint8_t *bytes, size_t size)
{
    struct diag diag;
    while (size > 0) {
        size_t got = 0;
        ASSERT(world_recv(task, socket, bytes, size, WORLD_NEVER, 0, &got, &diag) == ERR_OK);
        ASSERT(got > 0 && got <= size);
        bytes += got;
        size -= got;
    }
}

static void
client_main(struct task *task, void *arg)
{
    struct game *game = arg;
    struct diag diag;
    struct world_socket *socket = NULL;
    ASSERT(world_connect(task, "127.0.0.1", game->port, &socket, &diag) == ERR_OK);
    for (int i = 0; i < game->round_count; i++) {
        uint8_t sent[100];
        uint8_t got[100];
        memset(sent, i, sizeof sent);
        ASSERT(world_send(task, socket, sent, sizeof sent, &diag) == ERR_OK);
        receive_all(task, socket, got, sizeof got);
        ASSERT(memcmp(sent, got, sizeof got) == 0);
    }
    world_socket_close(task, socket);
    leave(&game->clients_left, game->main);
}

static void
wait_zero(struct task *task, _Atomic int *count)
{
    while (atomic_load(count) > 0) {
        task_park(task, WORLD_NEVER);
    }
}

static void
game_start(struct task *task, struct game *game)
{
    struct diag diag;
    *game = (struct game){.main = task, .round_count = ROUNDS};
    ASSERT(world_listen(task, "127.0.0.1", 0, &game->listener, &diag) == ERR_OK);
    game->port = world_listener_port(game->listener);
    ASSERT(game->port != 0);
    atomic_store(&game->servers_left, 1);
    ASSERT(task_spawn(task_world(task), 0, "accept", accept_main, game, &diag) == ERR_OK);
    task_yield(task);
}

static void
game_end(struct task *task, struct game *game)
{
    world_listener_close(task, game->listener);
    wait_zero(task, &game->servers_left);
}

static void
test_echo(struct task *task)
{
    struct game game;
    struct diag diag;
    game_start(task, &game);
    struct world_listener *second = NULL;
    ASSERT(world_listen(task, "127.0.0.1", game.port, &second, &diag) == ERR_IO);
    atomic_store(&game.clients_left, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        ASSERT(task_spawn(task_world(task), WORLD_ANY_WORKER, "client", client_main, &game,
                   &diag) == ERR_OK);
    }
    wait_zero(task, &game.clients_left);
    game_end(task, &game);
    struct world_socket *socket = NULL;
    ASSERT(world_connect(task, "127.0.0.1", game.port, &socket, &diag) == ERR_CONNECTION_FAILURE);
}

struct drain {
    struct world_socket *socket;
    struct task *main;
    bool done;
};

static void
drain_main(struct task *task, void *arg)
{
    struct drain *drain = arg;
    uint8_t *bytes = mem_alloc(LARGE);
    receive_all(task, drain->socket, bytes, LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        ASSERT(bytes[i] == (uint8_t)(i * 7));
    }
    mem_free(bytes);
    drain->done = true;
    task_unpark(drain->main);
}

/* More than any buffer between: both sides must sleep and wake in turn. */
static void
test_large(struct task *task)
{
    struct diag diag;
    struct world_listener *listener = NULL;
    struct drain drain = {.main = task};
    struct world_socket *socket = NULL;
    ASSERT(world_listen(task, "127.0.0.1", 0, &listener, &diag) == ERR_OK);
    uint16_t port = world_listener_port(listener);
    ASSERT(world_connect(task, "127.0.0.1", port, &socket, &diag) == ERR_OK);
    ASSERT(world_accept(task, listener, &drain.socket, NULL, &diag) == ERR_OK);
    ASSERT(task_spawn(task_world(task), 0, "drain", drain_main, &drain, &diag) == ERR_OK);
    uint8_t *bytes = mem_alloc(LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    ASSERT(world_send(task, socket, bytes, LARGE, &diag) == ERR_OK);
    mem_free(bytes);
    while (!drain.done) {
        task_park(task, WORLD_NEVER);
    }
    world_socket_close(task, socket);
    world_socket_close(task, drain.socket);
    world_listener_close(task, listener);
}

static void
test_ends(struct task *task)
{
    struct diag diag;
    struct world_listener *listener = NULL;
    struct world_socket *here = NULL;
    struct world_socket *there = NULL;
    char bytes[64];
    size_t size = 0;
    ASSERT(world_listen(task, "127.0.0.1", 0, &listener, &diag) == ERR_OK);
    uint16_t port = world_listener_port(listener);
    ASSERT(world_connect(task, "127.0.0.1", port, &here, &diag) == ERR_OK);
    ASSERT(world_accept(task, listener, &there, NULL, &diag) == ERR_OK);

    int64_t start = world_clock_us(task_world(task));
    ASSERT(world_recv(task, there, bytes, sizeof bytes, start + 10000, 0, &size, &diag) ==
           ERR_IDLE_SESSION_TIMEOUT);
    ASSERT(world_clock_us(task_world(task)) >= start + 10000);

    task_interrupt(task, TASK_CANCEL);
    ASSERT(world_recv(task, there, bytes, sizeof bytes, WORLD_NEVER, TASK_CANCEL, &size, &diag) ==
           ERR_QUERY_CANCELED);
    /* Not obeyed: it waits for bytes in spite of it. */
    ASSERT(world_send(task, here, "bytes", 5, &diag) == ERR_OK);
    ASSERT(world_recv(task, there, bytes, sizeof bytes, WORLD_NEVER, TASK_TERMINATE, &size,
               &diag) == ERR_OK);
    task_interrupt_clear(task, TASK_CANCEL);
    receive_all(task, there, (uint8_t *)bytes, 5 - size);

    /* Bytes and the end arrive together, after a sleep had registered the socket: the end must be
     * seen although it brings no event of its own. */
    ASSERT(world_send(task, here, "last", 4, &diag) == ERR_OK);
    world_socket_close(task, here);
    task_sleep(task, 20000);
    size_t all = 0;
    do {
        ASSERT(
            world_recv(task, there, bytes, sizeof bytes, WORLD_NEVER, 0, &size, &diag) == ERR_OK);
        all += size;
    } while (size > 0);
    ASSERT(all == 4);
    world_socket_close(task, there);
    world_listener_close(task, listener);
}

static void
test_all(struct task *task, void *arg)
{
    (void)arg;
    TEST(test_echo(task));
    TEST(test_large(task));
    TEST(test_ends(task));
}

int
main(void)
{
    (void)fprintf(stderr, "operating system\n");
    run_os(2, test_all, NULL);
    (void)fprintf(stderr, "simulator\n");
    for (uint64_t seed = 1; seed <= 5; seed++) {
        (void)run_sim(seed, test_all, NULL);
    }
    return 0;
}
