/* Tasks: permits, interrupts, timers, many workers, many tasks, stacks. On both back ends where the
 * promise is one of both.
 * ctest: threads */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/world_run.h"

/* ---- a ball thrown across workers: no unpark may be lost ------------------------------------- */

enum {
    THROWS = 20000,
};

struct player {
    struct player *other;
    _Atomic(struct task *) task;
    _Atomic unsigned ball; /* throws so far, when it is here */
    _Atomic int *left;
    struct task *referee;
};

static void
player_main(struct task *task, void *arg)
{
    struct player *player = arg;
    atomic_store(&player->task, task);
    while (atomic_load(&player->other->task) == NULL) {
        task_yield(task);
    }
    for (;;) {
        unsigned ball = atomic_exchange(&player->ball, 0);
        if (ball == 0) {
            task_park(task, WORLD_NEVER);
            continue;
        }
        atomic_store(&player->other->ball, ball + 1);
        if (ball >= THROWS) {
            if (ball == THROWS) {
                task_unpark(atomic_load(&player->other->task));
            }
            break;
        }
        task_unpark(atomic_load(&player->other->task));
    }
    struct task *referee = player->referee;
    if (atomic_fetch_sub(player->left, 1) == 1) {
        task_unpark(referee);
    }
}

static void
play(struct task *task, void *arg)
{
    (void)arg;
    struct player players[2] = {0};
    _Atomic int left = 2;
    for (int i = 0; i < 2; i++) {
        players[i].other = &players[1 - i];
        players[i].left = &left;
        players[i].referee = task;
    }
    atomic_store(&players[0].ball, 1);
    for (int i = 0; i < 2; i++) {
        ASSERT(task_spawn(task_world(task), i, "player", player_main, &players[i], NULL) == ERR_OK);
    }
    while (atomic_load(&left) > 0) {
        task_park(task, WORLD_NEVER);
    }
}

/* ---- permits, timers, interrupts ------------------------------------------------------------- */

static void
test_permit(struct task *task, void *arg)
{
    (void)arg;
    task_unpark(task);
    task_park(task, WORLD_NEVER); /* returns at once, or the test hangs */
}

static void
test_timer(struct task *task, void *arg)
{
    (void)arg;
    const struct world *world = task_world(task);
    int64_t start = world_clock_us(world);
    int64_t until = start + 20000;
    while (world_clock_us(world) < until) {
        task_park(task, until);
    }
    ASSERT(world_clock_us(world) - start < 5000000);
    start = world_clock_us(world);
    task_sleep(task, 10000);
    ASSERT(world_clock_us(world) - start >= 10000);
}

struct sleeper {
    int index;
    int *order;
    int *woken;
    struct task *parent;
};

static void
sleeper_main(struct task *task, void *arg)
{
    const struct sleeper *sleeper = arg;
    task_sleep(task, 20000 * (sleeper->index + 1));
    sleeper->order[(*sleeper->woken)++] = sleeper->index;
    task_unpark(sleeper->parent);
}

static void
test_timers_fire_in_order(struct task *task, void *arg)
{
    (void)arg;
    int order[5];
    int woken = 0;
    struct sleeper sleepers[5];
    for (int i = 4; i >= 0; i--) {
        sleepers[i] = (struct sleeper){i, order, &woken, task};
        ASSERT(
            task_spawn(task_world(task), 0, "sleeper", sleeper_main, &sleepers[i], NULL) == ERR_OK);
    }
    while (woken < 5) {
        task_park(task, WORLD_NEVER);
    }
    for (int i = 0; i < 5; i++) {
        ASSERT(order[i] == i);
    }
}

struct victim {
    struct task *task;
    struct task *parent;
    int seen;
};

static void
victim_main(struct task *task, void *arg)
{
    struct victim *victim = arg;
    struct diag diag;
    victim->task = task;
    task_unpark(victim->parent);
    while (task_interrupted(task, &diag) == ERR_OK) {
        task_park(task, WORLD_NEVER);
    }
    ASSERT(diag.code == ERR_QUERY_CANCELED);
    task_interrupt_clear(task, TASK_CANCEL);
    ASSERT(task_interrupted(task, &diag) == ERR_OK);

    /* A deadline reaches a task that sleeps, and one that works. */
    task_set_deadline(task, world_clock_us(task_world(task)) + 10000);
    while (task_interrupted(task, &diag) == ERR_OK) {
        task_park(task, WORLD_NEVER);
    }
    ASSERT(strstr(diag.message, "statement timeout") != NULL);
    task_interrupt_clear(task, TASK_TIMEOUT);
    task_set_deadline(task, world_clock_us(task_world(task)) + 10000);
    while (task_breathe(task, &diag) == ERR_OK) {
    }
    ASSERT(strstr(diag.message, "statement timeout") != NULL);
    task_interrupt_clear(task, TASK_TIMEOUT);

    /* One taken back does not. */
    task_set_deadline(task, world_clock_us(task_world(task)) + 1000);
    task_set_deadline(task, WORLD_NEVER);
    task_sleep(task, 5000);
    ASSERT(task_interrupted(task, &diag) == ERR_OK);
    victim->seen = 1;
    task_unpark(victim->parent);
}

static void
test_interrupts(struct task *task, void *arg)
{
    (void)arg;
    struct victim victim = {.parent = task};
    ASSERT(task_spawn(task_world(task), 0, "victim", victim_main, &victim, NULL) == ERR_OK);
    while (victim.task == NULL) {
        task_park(task, WORLD_NEVER);
    }
    task_interrupt(victim.task, TASK_CANCEL);
    while (victim.seen == 0) {
        task_park(task, WORLD_NEVER);
    }
}

/* A task that never sleeps but breathes lets the others run. */
static void
hog_main(struct task *task, void *arg)
{
    _Atomic int *stop = arg;
    while (atomic_load(stop) == 0) {
        if (task_breathe(task, NULL) != ERR_OK) {
            break;
        }
    }
}

static void
test_breathing(struct task *task, void *arg)
{
    (void)arg;
    static _Atomic int stop;
    atomic_store(&stop, 0);
    ASSERT(task_spawn(task_world(task), 0, "hog", hog_main, &stop, NULL) == ERR_OK);
    for (int i = 0; i < 10; i++) {
        task_yield(task);
        task_sleep(task, 100);
    }
    atomic_store(&stop, 1);
}

/* One whose breaths are far apart is looked after often. */
static void
slow_hog_main(struct task *task, void *arg)
{
    _Atomic int *stop = arg;
    while (atomic_load(stop) == 0) {
        int64_t until = world_clock_us(task_world(task)) + 10000;
        while (world_clock_us(task_world(task)) < until) {
        }
        if (task_breathe(task, NULL) != ERR_OK) {
            break;
        }
    }
}

static void
test_slow_breaths(struct task *task, void *arg)
{
    (void)arg;
    static _Atomic int stop;
    atomic_store(&stop, 0);
    ASSERT(task_spawn(task_world(task), 0, "hog", slow_hog_main, &stop, NULL) == ERR_OK);
    task_yield(task); /* 8 breaths long, once */
    int64_t start = world_clock_us(task_world(task));
    for (int i = 0; i < 20; i++) {
        task_yield(task);
    }
    int64_t took = world_clock_us(task_world(task)) - start;
    atomic_store(&stop, 1);
    /* 20 breaths, and not 64 between two of them; the machine may be busy otherwise. */
    ASSERT(took < 20 * 10000 * 16);
}

/* ---- offload --------------------------------------------------------------------------------- */

static void
add_one(void *arg)
{
    ++*(int *)arg;
}

static void
test_offload(struct task *task, void *arg)
{
    (void)arg;
    int count = 0;
    for (int i = 0; i < 1000; i++) {
        task_unpark(task); /* stray permits do not end it early */
        world_offload(task, add_one, &count);
        ASSERT(count == i + 1);
    }
}

/* ---- many ------------------------------------------------------------------------------------ */

static long
resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0;
    long resident = 0;
    ASSERT(file != NULL && fscanf(file, "%ld %ld", &size, &resident) == 2);
    (void)fclose(file);
    return resident * 4;
}

static _Atomic int parked_count;

static void
parked_main(struct task *task, void *arg)
{
    (void)arg;
    atomic_fetch_add(&parked_count, 1);
    while (task_interrupted(task, NULL) == ERR_OK) {
        task_park(task, WORLD_NEVER);
    }
    atomic_fetch_sub(&parked_count, 1);
}

static void
test_many(struct task *task, void *arg)
{
    const int *count = arg;
    long before = resident_kib();
    atomic_store(&parked_count, 0);
    for (int i = 0; i < *count; i++) {
        ASSERT(task_spawn(task_world(task), WORLD_ANY_WORKER, "parked", parked_main, NULL, NULL) ==
               ERR_OK);
    }
    while (atomic_load(&parked_count) < *count) {
        task_sleep(task, 1000);
    }
    (void)fprintf(stderr, "    %d parked tasks: %.1f KiB each\n", *count,
        (double)(resident_kib() - before) / *count);
}

/* ---- stacks ---------------------------------------------------------------------------------- */

static __attribute__((noinline)) int
dig(struct task *task, int depth)
{
    volatile char here[1024];
    here[0] = (char)depth;
    if (depth == 0 || task_stack_left(task) < 8192) {
        return here[0];
    }
    return dig(task, depth - 1) + here[0];
}

static void
test_stack_left(struct task *task, void *arg)
{
    (void)arg;
    size_t left = task_stack_left(task);
    size_t most = TASK_STACK_SIZE - TASK_STACK_RESERVE;
    ASSERT(left > most / 2 && left <= most);
    (void)dig(task, 1 << 20); /* ends by the check, not by the guard page */
}

static __attribute__((noinline)) int
fall(int depth)
{
    volatile char here[512];
    here[0] = (char)depth;
    return depth == 0 ? 0 : fall(depth - 1) + here[0];
}

static void
overflow_main(struct task *task, void *arg)
{
    (void)task;
    (void)arg;
    _exit(fall(1 << 30) == 12345 ? 1 : 0);
}

/* Whoever does not check dies at the guard page, and touches nobody else's stack. */
static void
test_guard_page(void)
{
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        run_os(1, overflow_main, NULL);
        _exit(0);
    }
    int status = 0;
    ASSERT(waitpid(child, &status, 0) == child);
    ASSERT(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

/* ---- what idle tasks give back ------------------------------------------------------------------
 */

static __attribute__((noinline)) int
dirty_stack(void)
{
    volatile char deep[TASK_STACK_SIZE / 2];
    for (size_t i = 0; i < sizeof deep; i += 512) {
        deep[i] = 1;
    }
    return deep[512];
}

/* Pages of memory in the TASK_STACK_SIZE / 2 bytes below the caller's frame. */
static size_t
resident_below(const void *here)
{
    unsigned char pages[TASK_STACK_SIZE / 2 / 4096];
    uintptr_t start = ((uintptr_t)here - TASK_STACK_SIZE / 2) / 4096 * 4096;
    ASSERT(mincore((void *)start, sizeof pages * 4096, pages) == 0);
    size_t count = 0;
    for (size_t i = 0; i < sizeof pages; i++) {
        count += pages[i] & 1;
    }
    return count;
}

static void
test_trim_stack(struct task *task, void *arg)
{
    (void)arg;
    volatile char kept[3000];
    for (size_t i = 0; i < sizeof kept; i++) {
        kept[i] = (char)i;
    }
    ASSERT(dirty_stack() == 1);
    size_t before = resident_below(__builtin_frame_address(0));
    task_trim_stack(task);
    size_t after = resident_below(__builtin_frame_address(0));
#ifdef __SANITIZE_ADDRESS__
    (void)before; /* does nothing there */
    (void)after;
#else
    ASSERT(before >= 14 && after <= 4);
#endif
    for (size_t i = 0; i < sizeof kept; i++) {
        ASSERT(kept[i] == (char)i);
    }
    ASSERT(dirty_stack() == 1);
}

/* ---- signals ------------------------------------------------------------------------------------
 */

static _Atomic int heard;

static void
on_signal(void *arg, int signal_number)
{
    heard = heard * 100 + signal_number;
    task_unpark(arg);
}

static void
wait_for_signal(struct task *task, int wanted)
{
    int64_t until = world_clock_us(task_world(task)) + 5000000;
    while (heard != wanted && world_clock_us(task_world(task)) < until) {
        task_park(task, until);
    }
    ASSERT(heard == wanted);
}

static void
test_signals(struct task *task, void *arg)
{
    (void)arg;
    struct world *world = task_world(task);
    heard = 0;
    (void)kill(getpid(), SIGTERM); /* before anybody listens: kept */
    task_sleep(task, 20000);
    ASSERT(heard == 0);
    world_on_signal(world, on_signal, task);
    wait_for_signal(task, SIGTERM);
    (void)kill(getpid(), SIGINT);
    wait_for_signal(task, SIGTERM * 100 + SIGINT);
    world_on_signal(world, NULL, NULL);
    (void)kill(getpid(), SIGHUP);
    task_sleep(task, 20000);
    ASSERT(heard == SIGTERM * 100 + SIGINT);
}

/* A worker beside a thread that never sleeps, on one processor: somebody wakes there now and then,
 * so that turns are short; and nobody any more when there is quiet (W13). */

static long
times_slept(void)
{
    struct rusage usage;
    ASSERT(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_nvcsw;
}

static void *
spin(void *arg)
{
    while (!atomic_load((_Atomic bool *)arg)) {
    }
    return NULL;
}

static void
test_crowded(struct task *task, void *arg)
{
    (void)arg;
    enum {
        CROWDED_US = 500000,
        QUIET_US = 200000,
    };
    if (access("/proc/thread-self/schedstat", R_OK) != 0) {
        (void)fprintf(stderr, "    skipped: this kernel does not say how long a thread waits\n");
        return;
    }
    cpu_set_t usual;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    ASSERT(sched_getaffinity(0, sizeof usual, &usual) == 0 &&
           sched_setaffinity(0, sizeof one, &one) == 0);
    _Atomic bool enough = false;
    pthread_t other; /* inherits the one processor */
    ASSERT(pthread_create(&other, NULL, spin, &enough) == 0);
    struct world *world = task_world(task);
    long before = times_slept();
    for (int64_t end = world_clock_us(world) + CROWDED_US; world_clock_us(world) < end;) {
        task_yield(task);
    }
    long crowded = times_slept() - before;
    atomic_store(&enough, true);
    ASSERT(pthread_join(other, NULL) == 0);
    ASSERT(sched_setaffinity(0, sizeof usual, &usual) == 0);
    task_sleep(task, QUIET_US); /* the pulse beats on for a moment */
    before = times_slept();
    task_sleep(task, QUIET_US);
    long quiet = times_slept() - before;
    (void)fprintf(stderr, "    woken %ld times in a crowd, %ld times in quiet\n", crowded, quiet);
    ASSERT(crowded > 50 && quiet < 50);
}

static void
test_os(struct task *task, void *arg)
{
    TEST(test_slow_breaths(task, arg));
    TEST(test_trim_stack(task, arg));
    TEST(test_signals(task, arg));
}

static void
test_all(struct task *task, void *arg)
{
    TEST(test_permit(task, arg));
    TEST(test_timer(task, arg));
    TEST(test_timers_fire_in_order(task, arg));
    TEST(test_interrupts(task, arg));
    TEST(test_breathing(task, arg));
    TEST(test_offload(task, arg));
    TEST(test_stack_left(task, arg));
    TEST(play(task, arg));
}

int
main(void)
{
    (void)fprintf(stderr, "guard page\n");
    test_guard_page();
    (void)fprintf(stderr, "operating system\n");
    run_os(2, test_all, NULL);
    run_os(2, test_os, NULL);
    run_os(1, test_crowded, NULL);
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    int many = 1000; /* ThreadSanitizer bears some 8,000 fibers, slowly */
#else
    int many = 10000;
#endif
#else
    int many = 10000;
#endif
    run_os(2, test_many, &many);
    (void)fprintf(stderr, "simulator\n");
    for (uint64_t seed = 1; seed <= 3; seed++) {
        (void)run_sim(seed, test_all, NULL);
    }
    return 0;
}
