/*
 * world/sim.c - the simulated back end: one thread, one seed, a clock that jumps.
 *
 * Every choice (which task runs next, how long an operation takes, how much a recv returns, when a
 * breathing task loses the processor) is drawn from one generator in program order, and mixed into
 * the trace. Nothing here depends on addresses, on the real clock or on another thread, so the same
 * seed and program give the same trace (README, W8).
 *
 * The clock moves a little with each task that runs and each look at it, so that loops which wait
 * for it end; when nobody can run it jumps to the next timer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "world/sim_internal.h"

enum {
    WORKERS_DEFAULT = 2,
    DELAY_US_DEFAULT = 200,
    BREATHS_PER_DRAW = 4,
    TIRED_ONE_IN = 16,
    TICK_US_MAX = 3,
};

/* 2020-01-01 00:00 UTC: where every simulated wall clock starts. */
static const int64_t wall_start_us = 1577836800LL * 1000000;

uint64_t
sim__draw(struct sim_world *sim, uint64_t bound)
{
    ASSERT(bound > 0);
    sim->generator += 0x9e3779b97f4a7c15ULL;
    uint64_t drawn = hash_u64(sim->generator) % bound;
    return drawn;
}

bool
sim__chance(struct sim_world *sim, uint32_t chance)
{
    return chance > 0 && sim__draw(sim, 65536) < chance;
}

_Noreturn void
sim__crash(struct sim_world *sim, const char *why)
{
    sim->crashed = why;
    world__trace(&sim->world, (uint64_t)SIM_CRASH << 56);
    world__halt(&sim->world);
    abort(); /* only a task can cause a crash, and no task comes back from there */
}

bool
sim__io(struct task *task)
{
    struct sim_world *sim = sim_of(task);
    return ++sim->io_count == sim->options.crash_at_io;
}

static void
check_time(struct sim_world *sim)
{
    if (sim->options.crash_at_us != 0 && sim->now_us >= sim->options.crash_at_us) {
        sim__crash(sim, "power cut");
    }
}

void
sim__pause(struct task *task, enum sim_event event)
{
    struct sim_world *sim = sim_of(task);
    bool disk = event >= SIM_FILE_OPEN && event <= SIM_DIRECTORY;
    int64_t most = disk ? sim->options.disk_us_max : sim->options.delay_us_max;
    int64_t delay_us = (int64_t)sim__draw(sim, (uint64_t)most + 1);
    if (sim__chance(sim, sim->options.faults.slow)) {
        delay_us *= 1 + (int64_t)sim__draw(sim, 100);
    }
    world__trace(&sim->world, ((uint64_t)event << 56) ^ (task->serial << 32) ^ (uint64_t)delay_us);
    int64_t until = sim->now_us + delay_us;
    check_time(sim);
    while (sim->now_us < until) {
        task_park(task, until);
    }
}

static int64_t
sim_clock_us(const struct world *world)
{
    /* Looking takes time. The world is ours to change: it came from sim_of's allocation. */
    struct sim_world *sim = (struct sim_world *)(uintptr_t)world;
    sim->now_us += (int64_t)sim__draw(sim, TICK_US_MAX);
    return sim->now_us;
}

static int64_t
sim_wall_us(const struct world *world)
{
    const struct sim_world *sim = (const struct sim_world *)(const void *)world;
    const struct task *task = world->workers[0].current;
    return wall_start_us + sim_clock_us(world) + (task == NULL ? 0 : sim->ahead_us[task->process]);
}

static void
sim_random_bytes(struct world *world, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)sim__draw((struct sim_world *)(void *)world, 256);
    }
}

static bool
sim_idle(struct worker *worker, int64_t deadline_us)
{
    struct sim_world *sim = (struct sim_world *)(void *)worker->world;
    int64_t crash_us = sim->options.crash_at_us;
    if (crash_us != 0 && crash_us <= deadline_us) {
        sim->now_us = crash_us > sim->now_us ? crash_us : sim->now_us;
        sim->crashed = "power cut";
        world__trace(&sim->world, (uint64_t)SIM_CRASH << 56);
        world__halt(&sim->world);
        return false;
    }
    if (deadline_us == WORLD_NEVER) {
        return false;
    }
    if (deadline_us > sim->now_us) {
        sim->now_us = deadline_us;
    }
    return true;
}

static void
sim_wake(struct worker *worker)
{
    (void)worker; /* one thread: whoever wakes is awake */
}

static size_t
sim_pick(struct worker *worker)
{
    struct sim_world *sim = (struct sim_world *)(void *)worker->world;
    size_t picked = (size_t)sim__draw(sim, worker->queue_count);
    const struct task *task = worker->queue_head;
    for (size_t i = 0; i < picked; i++) {
        task = task->queue_next;
    }
    sim->now_us += (int64_t)sim__draw(sim, TICK_US_MAX);
    world__trace(&sim->world, ((uint64_t)SIM_RUN << 56) ^ (task->serial << 32) ^
                                  (uint64_t)worker->queue_count ^ ((uint64_t)sim->now_us << 16));
    return picked;
}

static bool
sim_tired(struct worker *worker)
{
    return sim__draw((struct sim_world *)(void *)worker->world, TIRED_ONE_IN) == 0;
}

static void
sim_offload(struct task *task, void (*fn)(void *arg), void *arg)
{
    sim__pause(task, SIM_OFFLOAD);
    fn(arg);
}

static void
sim_log(struct world *world, const char *line)
{
    const struct sim_world *sim = (struct sim_world *)(void *)world;
    if (!sim->options.quiet) {
        (void)fprintf(stderr, "[sim %lld us] %s\n", (long long)sim->now_us, line);
    }
}

static void
sim_die(struct world *world)
{
    sim__crash((struct sim_world *)(void *)world, "the process ended itself");
}

static void
sim_destroy(struct world *world)
{
    struct sim_world *sim = (struct sim_world *)(void *)world;
    sim__files_destroy(sim);
    sim__disk_destroy(sim);
    sim__net_destroy(sim);
}

static const struct backend sim_backend = {
    .clock_us = sim_clock_us,
    .wall_us = sim_wall_us,
    .random_bytes = sim_random_bytes,
    .idle = sim_idle,
    .wake = sim_wake,
    .pick = sim_pick,
    .tired = sim_tired,
    .offload = sim_offload,
    .log = sim_log,
    .die = sim_die,
    .file_open = sim__file_open,
    .file_close = sim__file_close,
    .file_read = sim__file_read,
    .file_write = sim__file_write,
    .file_write_parts = sim__file_write_parts,
    .file_sync = sim__file_sync,
    .file_size = sim__file_size,
    .file_truncate = sim__file_truncate,
    .file_preallocate = sim__file_preallocate,
    .file_lock = sim__file_lock,
    .rename = sim__rename,
    .unlink = sim__unlink,
    .mkdir = sim__mkdir,
    .sync_directory = sim__sync_directory,
    .list_directory = sim__list_directory,
    .file_exists = sim__file_exists,
    .file_in_place = sim__file_in_place,
    .file_private = sim__file_private,
    .listen = sim__listen,
    .accept = sim__accept,
    .listener_close = sim__listener_close,
    .connect = sim__connect,
    .recv = sim__recv,
    .send = sim__send,
    .socket_close = sim__socket_close,
    .destroy = sim_destroy,
};

struct world *
world_sim_new(uint64_t seed, const struct world_sim_options *options)
{
    struct sim_world *sim = mem_zalloc(sizeof *sim);
    world__create(&sim->world, &sim_backend, 1);
    sim->options = *options;
    sim->options.disk = (struct slice){0}; /* the caller's */
    if (sim->options.delay_us_max == 0) {
        sim->options.delay_us_max = DELAY_US_DEFAULT;
    }
    if (sim->options.disk_us_max == 0) {
        sim->options.disk_us_max = sim->options.delay_us_max;
    }
    ASSERT(options->worker_count <= WORLD_WORKERS_MAX && sim->options.delay_us_max > 0);
    sim->world.reported_count =
        options->worker_count == 0 ? WORKERS_DEFAULT : options->worker_count;
    sim->world.workers[0].breaths_max = BREATHS_PER_DRAW;
    sim->world.trace = 1;
    sim->generator = hash_u64(seed ^ 0x5475736bULL);
    atomic_store(&sim->world.random_state, hash_u64(seed ^ 0x72616e64ULL));
    list_init(&sim->files);
    list_init(&sim->listeners);
    list_init(&sim->sockets);
    sim->changes_end = &sim->changes;
    sim__disk_load(sim, options->disk);
    return &sim->world;
}

_Noreturn void
world_sim_crash(struct task *task, const char *why)
{
    sim__crash(sim_of(task), why);
}

const char *
world_sim_crashed(const struct world *world)
{
    return ((const struct sim_world *)(const void *)world)->crashed;
}

int64_t
world_sim_now_us(const struct world *world)
{
    return ((const struct sim_world *)(const void *)world)->now_us;
}

uint64_t
world_sim_io_count(const struct world *world)
{
    return ((const struct sim_world *)(const void *)world)->io_count;
}

void
world_sim_set_faults(struct world *world, const struct world_sim_faults *faults)
{
    ((struct sim_world *)(void *)world)->options.faults = *faults;
}

void
world_sim_signal(struct world *world, int signal)
{
    if (world->on_signal != NULL) {
        world->on_signal(world->on_signal_arg, signal);
    }
}
