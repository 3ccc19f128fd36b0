/*
 * What the workers share here: the table of functions, the zones, the compiled patterns. Several of
 * them use all three at once, with more patterns than are kept; under TSan this finds a missing
 * latch.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sql/value/value.h"
#include "tests/unit/world_run.h"

enum {
    WORKERS = 4,
    ROUNDS = 300,
};

static atomic_int running;

static struct datum
text(struct arena *arena, const char *words)
{
    return datum_bytes(arena_strdup(arena, words), strlen(words));
}

static struct datum
call(struct eval *eval, const char *name, oid_t first, struct datum a, struct datum b)
{
    size_t many = 0;
    const struct function *all = function_by_name(name, &many);
    for (size_t i = 0; i < many; i++) {
        if (all[i].arg_count == 2 && all[i].args[0] == TYPE_TEXT && all[i].args[1] == first) {
            struct datum result;
            struct datum args[2] = {a, b};
            ASSERT(all[i].call(eval, args, 2, &result) == ERR_OK);
            return result;
        }
    }
    ASSERT(false);
    return a;
}

static void
work(struct task *task, void *arg)
{
    static const char *const zones[] = {"Europe/Berlin", "america/new_york", "UTC", "EST5EDT",
        "Asia/Tokyo", "Australia/Lord_Howe", "<+03>-03", "Africa/Casablanca"};
    struct arena arena;
    struct diag diag;
    struct eval_env env = {.world = task_world(task), .time_zone = "UTC"};
    struct eval eval = {.task = task, .arena = &arena, .diag = &diag, .env = &env};
    size_t mine = (size_t)(intptr_t)arg;
    arena_create(&arena, "threads");
    for (size_t i = 0; i < ROUNDS; i++) {
        struct datum pattern = text(&arena, arena_printf(&arena, "^a%zu(b|c)+$", (i + mine) % 90));
        struct datum subject = text(&arena, arena_printf(&arena, "a%zubcb", (i + mine) % 90));
        ASSERT(call(&eval, "regexp_like", TYPE_TEXT, subject, pattern).i == 1);
        const char *zone = zones[(i * 7 + mine) % (sizeof zones / sizeof zones[0])];
        ASSERT(time_zone_name(task, zone) != NULL);
        /* Noon in summer, somewhere on that day or the next. */
        struct datum noon = datum_int(INT64_C(646920000000000));
        struct datum local = call(&eval, "timezone", TYPE_TIMESTAMPTZ, text(&arena, zone), noon);
        ASSERT(llabs(local.i - noon.i) <= INT64_C(50400000000));
        env.time_zone = time_zone_name(task, zone);
        struct buffer out = {0};
        type_output(&env, TYPE_TIMESTAMPTZ, noon, &out);
        struct datum back;
        ASSERT(
            type_input(&eval, TYPE_TIMESTAMPTZ, -1, slice_of(out.data, out.size), &back) == ERR_OK);
        ASSERT(back.i == noon.i);
        buffer_destroy(&out);
        arena_reset(&arena);
        if (i % 16 == 0) {
            task_yield(task);
        }
    }
    arena_destroy(&arena);
    if (atomic_fetch_sub(&running, 1) == 1) {
        world_stop(task_world(task));
    }
}

int
main(void)
{
    struct world *world = NULL;
    struct diag diag;
    struct world_os_options options = {.worker_count = WORKERS};
    ASSERT(world_os_new(&options, &world, &diag) == ERR_OK);
    atomic_store(&running, 2 * WORKERS);
    for (int i = 0; i < 2 * WORKERS; i++) {
        ASSERT(task_spawn(world, i % WORKERS, "work", work, (void *)(intptr_t)(i * 11), &diag) ==
               ERR_OK);
    }
    world_run(world);
    world_delete(world);
    return 0;
}
