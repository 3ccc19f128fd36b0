/* tests/unit/world_run.h - run one task as a program's main, on either back end. */
#ifndef TESTS_UNIT_WORLD_RUN_H
#define TESTS_UNIT_WORLD_RUN_H

#include <stdio.h>

#include "base/assert.h"
#include "world/world.h"

struct program {
    task_main *run;
    void *arg;
};

static inline void
program_main(struct task *task, void *arg)
{
    const struct program *program = arg;
    program->run(task, program->arg);
    world_stop(task_world(task));
}

static inline void
run_os(unsigned workers, task_main *run, void *arg)
{
    struct world *world = NULL;
    struct program program = {run, arg};
    struct diag diag;
    ASSERT(
        world_os_new(&(struct world_os_options){.worker_count = workers}, &world, &diag) == ERR_OK);
    ASSERT(task_spawn(world, 0, "main", program_main, &program, &diag) == ERR_OK);
    world_run(world);
    world_delete(world);
}

/* Returns the trace. */
static inline uint64_t
run_sim(uint64_t seed, task_main *run, void *arg)
{
    struct world *world = world_sim_new(seed, &(struct world_sim_options){0});
    struct program program = {run, arg};
    struct diag diag;
    ASSERT(task_spawn(world, 0, "main", program_main, &program, &diag) == ERR_OK);
    world_run(world);
    uint64_t trace = world_trace_hash(world);
    world_delete(world);
    return trace;
}

#define TEST(what) ((void)fprintf(stderr, "  %s\n", #what), (what))

#endif /* TESTS_UNIT_WORLD_RUN_H */
