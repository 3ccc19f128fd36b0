/*
 * world/sim_process.c - several processes in one simulated world, each of which can be killed or
 * stopped, cut off from another, refused a directory, or given a wall clock that is wrong.
 *
 * A process is a number that its tasks, sockets, listeners and open files bear. Whoever a task
 * spawns is of its process. Killed means: no task of it runs again (what they held in memory leaks,
 * as a life's memory does), and the system does what it does for a process that has ended: its
 * connections break, its ports and file locks are free. A task only loses the processor when it
 * sleeps, and nobody sleeps with a latch, so what several processes share here and not in truth
 * (globals) is left whole.
 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "world/sim_internal.h"

static struct sim_world *
sim_of_world(struct world *world)
{
    return (struct sim_world *)(void *)world;
}

static uint64_t
bit(unsigned process)
{
    ASSERT(process < SIM_PROCESSES_MAX);
    return (uint64_t)1 << process;
}

enum err
world_sim_spawn(struct world *world, unsigned process, const char *name, task_main *run, void *arg,
    struct diag *diag)
{
    ASSERT(process < SIM_PROCESSES_MAX);
    unsigned before = world->spawns_for;
    world->spawns_for = process + 1;
    enum err err = task_spawn(world, WORLD_ANY_WORKER, name, run, arg, diag);
    world->spawns_for = before;
    return err;
}

void
world_sim_kill(struct world *world, unsigned process)
{
    struct sim_world *sim = sim_of_world(world);
    world__trace(world, (uint64_t)SIM_KILL << 56 ^ process);
    world_sim_continue(world, process);
    world__end_tasks(world, process);
    sim__net_kill(sim, process);
    sim__files_kill(sim, process);
    sim->denied &= ~bit(process);
}

void
world_sim_stop(struct world *world, unsigned process)
{
    world__trace(world, (uint64_t)SIM_STOP << 56 ^ process);
    world__hold(world, bit(process));
}

void
world_sim_continue(struct world *world, unsigned process)
{
    world__release(world, bit(process));
}

void
world_sim_part(struct world *world, unsigned a, unsigned b, bool apart)
{
    struct sim_world *sim = sim_of_world(world);
    world__trace(world, (uint64_t)SIM_PART << 56 ^ (uint64_t)a << 8 ^ b);
    if (apart) {
        sim->apart[a] |= bit(b);
        sim->apart[b] |= bit(a);
    } else {
        sim->apart[a] &= ~bit(b);
        sim->apart[b] &= ~bit(a);
        sim__net_wake(sim);
    }
}

void
world_sim_deny(struct world *world, unsigned process, const char *directory)
{
    struct sim_world *sim = sim_of_world(world);
    if (directory == NULL) {
        sim->denied &= ~bit(process);
    } else {
        sim->denied |= bit(process);
        sim->denied_directory = directory;
    }
}

bool
sim__denied(struct task *task, const char *path)
{
    const struct sim_world *sim = sim_of(task);
    return (sim->denied & bit(task->process)) != 0 &&
           strncmp(path, sim->denied_directory, strlen(sim->denied_directory)) == 0;
}

void
world_sim_set_wall(struct world *world, unsigned process, int64_t ahead_us)
{
    sim_of_world(world)->ahead_us[process] = ahead_us;
}
