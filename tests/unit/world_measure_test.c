/* What the scheduler costs: `unit_world_measure_test 1000000` prints it. Without a number it only
 * runs through. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/unit/world_run.h"

static int rounds = 2000;

static void
print(const char *what, double value, const char *unit)
{
    (void)fprintf(stderr, "%-48s %10.1f %s\n", what, value, unit);
}

static double
ns_each(struct task *task, int64_t start_us, int count)
{
    return (double)(world_clock_us(task_world(task)) - start_us) * 1000 / count;
}

static _Atomic int running;

static void
yield_main(struct task *task, void *arg)
{
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        task_yield(task);
    }
    atomic_fetch_sub(&running, 1);
}

struct end {
    struct task *task;
    struct end *other;
    struct task *main;
    _Atomic int ball;
};

static void
end_main(struct task *task, void *arg)
{
    struct end *end = arg;
    end->task = task;
    atomic_fetch_add(&running, 1);
    while (atomic_load(&running) < 2) {
        task_sleep(task, 100);
    }
    atomic_fetch_add(&running, 1);
    while (atomic_load(&running) < 4) {
        task_sleep(task, 100);
    }
    for (int i = 0; i < rounds; i++) {
        while (atomic_exchange(&end->ball, 0) == 0) {
            task_park(task, WORLD_NEVER);
        }
        atomic_store(&end->other->ball, 1);
        task_unpark(end->other->task);
    }
    atomic_fetch_add(&running, 1);
    while (atomic_load(&running) < 6) { /* neither ends while the other may unpark it */
        task_sleep(task, 100);
    }
    task_unpark(end->main);
}

static void
measure_wake(struct task *task, int worker_a, int worker_b, const char *what)
{
    static struct end ends[2];
    memset(ends, 0, sizeof ends);
    atomic_store(&running, 0);
    for (int i = 0; i < 2; i++) {
        ends[i].other = &ends[1 - i];
        ends[i].main = task;
    }
    atomic_store(&ends[0].ball, 1);
    int64_t start = world_clock_us(task_world(task));
    int where[] = {worker_a, worker_b};
    for (int i = 0; i < 2; i++) {
        ASSERT(task_spawn(task_world(task), where[i], "end", end_main, &ends[i], NULL) == ERR_OK);
    }
    while (atomic_load(&running) < 6) {
        task_park(task, WORLD_NEVER);
    }
    print(what, ns_each(task, start, 2 * rounds), "ns");
    task_sleep(task, 10000);
}

static void
echo_main(struct task *task, void *arg)
{
    struct world_socket *socket = arg;
    char bytes[8192];
    size_t size = 0;
    while (world_recv(task, socket, bytes, sizeof bytes, WORLD_NEVER, TASK_TERMINATE, &size,
               NULL) == ERR_OK &&
           size > 0) {
        if (world_send(task, socket, bytes, size, NULL) != ERR_OK) {
            break;
        }
    }
    world_socket_close(task, socket);
}

static void
ask_main(struct task *task, void *arg)
{
    struct end *end = arg;
    struct world_socket *socket = NULL;
    char bytes[64] = {0};
    size_t size = 0;
    ASSERT(world_connect(task, "127.0.0.1", (uint16_t)end->ball, &socket, NULL) == ERR_OK);
    for (int i = 0; i < rounds / 10; i++) {
        ASSERT(world_send(task, socket, bytes, sizeof bytes, NULL) == ERR_OK);
        ASSERT(
            world_recv(task, socket, bytes, sizeof bytes, WORLD_NEVER, 0, &size, NULL) == ERR_OK);
    }
    world_socket_close(task, socket);
    struct task *main = end->main;
    if (atomic_fetch_sub(&running, 1) == 1) {
        task_unpark(main);
    }
}

static void
measure_echo(struct task *task, int clients)
{
    struct world_listener *listener = NULL;
    ASSERT(world_listen(task, "127.0.0.1", 0, &listener, NULL) == ERR_OK);
    struct end end = {.main = task};
    atomic_store(&end.ball, world_listener_port(listener));
    atomic_store(&running, clients);
    for (int i = 0; i < clients; i++) {
        ASSERT(task_spawn(task_world(task), 0, "ask", ask_main, &end, NULL) == ERR_OK);
    }
    int64_t start = world_clock_us(task_world(task));
    for (int i = 0; i < clients; i++) {
        struct world_socket *socket = NULL;
        ASSERT(world_accept(task, listener, &socket, NULL, NULL) == ERR_OK);
        ASSERT(task_spawn(task_world(task), 1, "echo", echo_main, socket, NULL) == ERR_OK);
    }
    while (atomic_load(&running) > 0) {
        task_park(task, WORLD_NEVER);
    }
    double each = ns_each(task, start, clients * (rounds / 10));
    char what[64];
    (void)snprintf(what, sizeof what, "echo, %d clients, one worker a side", clients);
    print(what, 1e9 / each, "a second");
    world_listener_close(task, listener);
}

static void
measure_files(struct task *task)
{
    struct world_file *file = NULL;
    char path[64];
    (void)snprintf(path, sizeof path, "/var/tmp/tusk_measure_%d", (int)getpid());
    ASSERT(world_file_open(task, path, WORLD_FILE_WRITE | WORLD_FILE_CREATE | WORLD_FILE_DURABLE,
               &file, NULL) == ERR_OK);
    ASSERT(world_file_preallocate(task, file, 16 << 20, NULL) == ERR_OK);
    uint8_t *block = mem_alloc_aligned(WORLD_BLOCK_SIZE, WORLD_BLOCK_SIZE);
    memset(block, 1, WORLD_BLOCK_SIZE);
    int count = rounds / 100;
    int64_t start = world_clock_us(task_world(task));
    for (int i = 0; i < count; i++) {
        uint64_t offset = (uint64_t)i % 4096 * WORLD_BLOCK_SIZE;
        ASSERT(world_file_write(task, file, offset, block, WORLD_BLOCK_SIZE, NULL) == ERR_OK);
    }
    print("durable write of 4 KiB, alone (in place)", ns_each(task, start, count) / 1000, "us");
    world_file_close(task, file);
    mem_free(block);
    ASSERT(world_unlink(task, path, NULL) == ERR_OK);
}

static void
nothing(void *arg)
{
    (void)arg;
}

static void
measure(struct task *task, void *arg)
{
    (void)arg;
    int64_t start = world_clock_us(task_world(task));
    for (int i = 0; i < rounds; i++) {
        (void)task_breathe(task, NULL);
    }
    print("task_breathe", ns_each(task, start, rounds), "ns");

    atomic_store(&running, 2);
    for (int i = 0; i < 2; i++) {
        ASSERT(task_spawn(task_world(task), 0, "yield", yield_main, NULL, NULL) == ERR_OK);
    }
    start = world_clock_us(task_world(task));
    while (atomic_load(&running) > 0) {
        task_yield(task);
    }
    print("task_yield (polls for events each time)", ns_each(task, start, 3 * rounds), "ns");
    measure_wake(task, 0, 0, "unpark to running, same worker");
    measure_wake(task, 0, 1, "unpark to running, other worker");

    start = world_clock_us(task_world(task));
    for (int i = 0; i < rounds / 10; i++) {
        world_offload(task, nothing, NULL);
    }
    print("offload and back", ns_each(task, start, rounds / 10), "ns");
    measure_echo(task, 1);
    measure_echo(task, 8);
    measure_files(task);
}

int
main(int argc, char **argv)
{
    if (argc > 1) {
        rounds = atoi(argv[1]);
    }
    run_os(2, measure, NULL);
    return 0;
}
