/* Helpers of unit tests: a call that must succeed, waiting, a world with a directory of its own. */
#ifndef TESTS_UNIT_TEST_UTIL_H
#define TESTS_UNIT_TEST_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "world/world.h"

#define OK(call)                                                                   \
    do {                                                                           \
        enum err ok_err = (call);                                                  \
        if (ok_err != ERR_OK) {                                                    \
            (void)fprintf(stderr, "%s:%d: %s: %s %s\n", __FILE__, __LINE__, #call, \
                err_sqlstate(ok_err), diag.message);                               \
            abort();                                                               \
        }                                                                          \
    } while (0)

/* Sleep until the condition holds, or give up loudly. */
#define AWAIT(task, condition)                                       \
    do {                                                             \
        int await_i = 0;                                             \
        while (!(condition)) {                                       \
            ASSERT(await_i++ < 20000);                               \
            task_park(task, world_clock_us(task_world(task)) + 500); \
        }                                                            \
    } while (0)

/* Run `run(task, directory)` in a world of the operating system with a fresh directory. */
static inline void
test_run_os(task_main *run, unsigned workers, void *arg_of(const char *directory))
{
    char directory[] = "/tmp/tusk_txn_XXXXXX";
    ASSERT(mkdtemp(directory) != NULL);
    struct world *world = NULL;
    struct diag diag;
    struct world_os_options options = {.worker_count = workers};
    OK(world_os_new(&options, &world, &diag));
    void *arg = arg_of == NULL ? directory : arg_of(directory);
    OK(task_spawn(world, 0, "test", run, arg, &diag));
    world_run(world);
    world_delete(world);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    ASSERT(system(command) == 0);
}

#endif
