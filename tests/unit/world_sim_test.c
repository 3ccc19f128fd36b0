/* The simulator: the same seed gives the same trace, another seed another; time is virtual; a world
 * in which nothing can happen ends. */
#include <string.h>

#include "tests/unit/world_run.h"

enum {
    TASKS = 8,
    STEPS = 40,
};

struct state {
    int left;
    char order[TASKS * STEPS + 1]; /* who made which step */
    size_t steps;
    struct task *main;
};

struct walker {
    struct state *state;
    char name;
};

static void
walker_main(struct task *task, void *arg)
{
    const struct walker *walker = arg;
    struct diag diag;
    char path[] = {'f', walker->name, '\0'};
    struct world_file *file = NULL;
    ASSERT(
        world_file_open(task, path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &file, &diag) == ERR_OK);
    for (uint64_t i = 0; i < STEPS; i++) {
        walker->state->order[walker->state->steps++] = walker->name;
        ASSERT(world_file_write(task, file, i, &walker->name, 1, &diag) == ERR_OK);
        if (i % 8 == 0) {
            world_file_sync(task, file);
        }
        ASSERT(task_breathe(task, &diag) == ERR_OK);
        (void)world_random(task_world(task));
    }
    world_file_close(task, file);
    walker->state->left--;
    task_unpark(walker->state->main);
}

static void
walk(struct task *task, void *arg)
{
    struct state *state = arg;
    struct walker walkers[TASKS];
    *state = (struct state){.left = TASKS, .main = task};
    for (int i = 0; i < TASKS; i++) {
        walkers[i] = (struct walker){state, (char)('a' + i)};
        ASSERT(task_spawn(task_world(task), WORLD_ANY_WORKER, "walker", walker_main, &walkers[i],
                   NULL) == ERR_OK);
    }
    while (state->left > 0) {
        task_park(task, WORLD_NEVER);
    }
}

static void
sleep_a_day(struct task *task, void *arg)
{
    (void)arg;
    int64_t before = world_wall_us(task_world(task));
    task_sleep(task, 86400LL * 1000000);
    int64_t slept = world_wall_us(task_world(task)) - before;
    ASSERT(slept >= 86400LL * 1000000 && slept < 86401LL * 1000000);
}

static void
wait_for_godot(struct task *task, void *arg)
{
    int *reached = arg;
    *reached = 1;
    for (;;) {
        task_park(task, WORLD_NEVER);
    }
}

static void
check_place(struct task *task, void *arg)
{
    unsigned *seen = arg;
    *seen |= 1U << task_worker(task);
}

int
main(void)
{
    static struct state first, again, other;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t trace = run_sim(seed, walk, &first);
        uint64_t trace_again = run_sim(seed, walk, &again);
        uint64_t trace_other = run_sim(seed + 1000, walk, &other);
        ASSERT(trace == trace_again && strcmp(first.order, again.order) == 0);
        ASSERT(trace != trace_other && strcmp(first.order, other.order) != 0);
    }
    (void)run_sim(7, sleep_a_day, NULL);
    int reached = 0;
    (void)run_sim(7, wait_for_godot, &reached);
    ASSERT(reached == 1);

    struct world *world = world_sim_new(1, &(struct world_sim_options){.worker_count = 4});
    unsigned seen = 0;
    ASSERT(world_worker_count(world) == 4);
    for (int i = 0; i < 4; i++) {
        ASSERT(task_spawn(world, i, "place", check_place, &seen, NULL) == ERR_OK);
    }
    world_run(world);
    ASSERT(seen == 0xf);
    world_delete(world);
    return 0;
}
