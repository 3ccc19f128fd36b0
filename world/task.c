/*
 * world/task.c - fibers and their scheduler, the same for both back ends.
 *
 * The switch is boost.context's (a few nanoseconds, no signal mask). Its C++ header is not for us;
 * the three functions have plain C linkage and are declared here. A switch saves and restores the
 * MXCSR and x87 control words; the sticky exception flags are cleared first, because loading an
 * MXCSR that differs stalls.
 */
#include <immintrin.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/latch.h"
#include "base/mem.h"
#include "world/world_internal.h"

struct transfer {
    void *context;
    void *data;
};

void *make_fcontext(void *stack_top, size_t size, void (*run)(struct transfer));
struct transfer jump_fcontext(void *to, void *data);

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif

#ifdef HAS_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *size);
void __asan_unpoison_memory_region(const volatile void *address, size_t size);
#endif
#ifdef HAS_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

enum {
    GUARD_SIZE = 4096,
    FREE_STACKS_MAX = 64,
    FREE_STACK_KEPT = 32 * 1024, /* of the pages of a stack that waits for its next task */
    SLICE_US = 1000,
    BREATHS_PER_CLOCK = 64,      /* once it is known that they take little time */
    BREATHS_BEFORE_CLOCK = 8,    /* after a rest */
    BREATHS_FEWER_WHEN_LATE = 8, /* times, when a look came more than a slice too late */
    RUNS_PER_POLL = 32,
    ALONE_STREAK = 16,
};

#ifdef HAS_ASAN
#define STACK_SCALE 4 /* redzones make frames larger */
#else
#define STACK_SCALE 1
#endif
#define STACK_SIZE ((size_t)TASK_STACK_SIZE * STACK_SCALE)

static _Thread_local struct worker *this_worker;

/* noinline: a compiler may keep a thread-local's address over a fiber switch; a task never changes
 * thread, but tests run several worlds one after another on one thread. */
static __attribute__((noinline)) struct worker *
current_worker(void)
{
    return this_worker;
}

/* ---- stacks ---------------------------------------------------------------------------------- */

static void *
stack_get(struct worker *worker)
{
    if (worker == current_worker() && worker->free_stack_count > 0) {
        return worker->free_stacks[--worker->free_stack_count];
    }
    uint8_t *map = mmap(NULL, STACK_SIZE + GUARD_SIZE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(map, GUARD_SIZE, PROT_NONE) != 0) {
        (void)munmap(map, STACK_SIZE + GUARD_SIZE);
        return NULL;
    }
    return map + GUARD_SIZE;
}

static void
stack_unmap(void *stack)
{
#ifdef HAS_ASAN
    /* What is mapped here next must not inherit the marks of our frames. */
    __asan_unpoison_memory_region(stack, STACK_SIZE);
#endif
    (void)munmap((uint8_t *)stack - GUARD_SIZE, STACK_SIZE + GUARD_SIZE);
}

static void
stack_put(struct worker *worker, void *stack)
{
    if (worker->free_stack_count < FREE_STACKS_MAX) {
        /* What only the deepest calls touched goes back. */
        (void)madvise(stack, STACK_SIZE - FREE_STACK_KEPT, MADV_DONTNEED);
        worker->free_stacks[worker->free_stack_count++] = stack;
    } else {
        stack_unmap(stack);
    }
}

/* ---- timers: a binary heap ----------------------------------------------------------------------
 */

static int64_t
wake_time(const struct task *task)
{
    return task->timer_us < task->deadline_us ? task->timer_us : task->deadline_us;
}

static void
heap_set(struct worker *worker, size_t index, struct task *task)
{
    worker->timers[index] = task;
    task->timer_index = index;
}

static void
heap_up(struct worker *worker, size_t index)
{
    struct task *task = worker->timers[index];
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (wake_time(worker->timers[parent]) <= wake_time(task)) {
            break;
        }
        heap_set(worker, index, worker->timers[parent]);
        index = parent;
    }
    heap_set(worker, index, task);
}

static void
heap_down(struct worker *worker, size_t index)
{
    struct task *task = worker->timers[index];
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= worker->timer_count) {
            break;
        }
        if (child + 1 < worker->timer_count &&
            wake_time(worker->timers[child + 1]) < wake_time(worker->timers[child])) {
            child++;
        }
        if (wake_time(task) <= wake_time(worker->timers[child])) {
            break;
        }
        heap_set(worker, index, worker->timers[child]);
        index = child;
    }
    heap_set(worker, index, task);
}

static void
timer_remove(struct worker *worker, struct task *task)
{
    size_t index = task->timer_index;
    if (index == SIZE_MAX) {
        return;
    }
    task->timer_index = SIZE_MAX;
    struct task *last = worker->timers[--worker->timer_count];
    if (last != task) {
        heap_set(worker, index, last);
        heap_up(worker, index);
        heap_down(worker, last->timer_index);
    }
}

/* Put the task where its wake_time says. */
static void
timer_update(struct worker *worker, struct task *task)
{
    if (wake_time(task) == WORLD_NEVER) {
        timer_remove(worker, task);
        return;
    }
    if (task->timer_index == SIZE_MAX) {
        if (worker->timer_count == worker->timer_capacity) {
            worker->timer_capacity = worker->timer_capacity == 0 ? 64 : worker->timer_capacity * 2;
            worker->timers =
                mem_realloc(worker->timers, worker->timer_capacity * sizeof(struct task *));
        }
        heap_set(worker, worker->timer_count++, task);
    }
    heap_up(worker, task->timer_index);
    heap_down(worker, task->timer_index);
}

static void
timers_fire(struct worker *worker, int64_t now)
{
    while (worker->timer_count > 0 && wake_time(worker->timers[0]) <= now) {
        struct task *task = worker->timers[0];
        if (task->deadline_us <= now) {
            task->deadline_us = WORLD_NEVER;
            atomic_fetch_or(&task->interrupts, TASK_TIMEOUT);
        }
        if (task->timer_us <= now) {
            task->timer_us = WORLD_NEVER;
        }
        timer_update(worker, task);
        task_unpark(task);
    }
}

/* ---- queues -------------------------------------------------------------------------------------
 */

static void
queue_push(struct worker *worker, struct task *task)
{
    task->queue_next = NULL;
    if ((worker->held >> task->process & 1) != 0) {
        *(worker->held_tail == NULL ? &worker->held_head : &worker->held_tail->queue_next) = task;
        worker->held_tail = task;
        return;
    }
    if (worker->queue_tail == NULL) {
        worker->queue_head = task;
    } else {
        worker->queue_tail->queue_next = task;
    }
    worker->queue_tail = task;
    worker->queue_count++;
}

/* After a push to inbox or finished. Dekker with run_worker: it sets sleeping, then looks there. */
static void
wake_if_asleep(struct worker *worker)
{
    if (atomic_load(&worker->sleeping) != 0 && atomic_exchange(&worker->sleeping, 0) != 0) {
        worker->world->backend->wake(worker);
    }
}

static void
inbox_push(struct worker *worker, struct task *task)
{
    struct task *head = atomic_load_explicit(&worker->inbox, memory_order_relaxed);
    do {
        task->queue_next = head;
    } while (!atomic_compare_exchange_weak(&worker->inbox, &head, task));
    wake_if_asleep(worker);
}

void
worker__finish(struct worker *worker, struct errand *errand)
{
    struct errand *head = atomic_load_explicit(&worker->finished, memory_order_relaxed);
    do {
        errand->next = head;
    } while (!atomic_compare_exchange_weak(&worker->finished, &head, errand));
    wake_if_asleep(worker);
}

static void
inbox_take(struct worker *worker)
{
    if (atomic_load_explicit(&worker->finished, memory_order_relaxed) != NULL) {
        struct errand *errand = atomic_exchange(&worker->finished, NULL);
        while (errand != NULL) {
            struct errand *next = errand->next;
            errand->done = true;
            task_unpark(errand->task);
            errand = next;
        }
    }
    if (atomic_load_explicit(&worker->inbox, memory_order_relaxed) == NULL) {
        return;
    }
    struct task *newest = atomic_exchange(&worker->inbox, NULL);
    struct task *oldest = NULL;
    while (newest != NULL) { /* turn it round: first come, first run */
        struct task *next = newest->queue_next;
        newest->queue_next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct task *next = oldest->queue_next;
        queue_push(worker, oldest);
        oldest = next;
    }
}

/* ---- switching ----------------------------------------------------------------------------------
 */

static void
switch_to_scheduler(struct task *task)
{
    struct worker *worker = task->worker;
    _mm_setcsr(_mm_getcsr() & ~0x3fU);
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(task->ended ? NULL : &task->asan_fake_stack,
        worker->asan_stack_bottom, worker->asan_stack_size);
#endif
#ifdef HAS_TSAN
    __tsan_switch_to_fiber(worker->tsan_scheduler, 0);
#endif
    struct transfer back = jump_fcontext(worker->scheduler_context, task);
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(
        task->asan_fake_stack, &worker->asan_stack_bottom, &worker->asan_stack_size);
#endif
    worker->scheduler_context = back.context;
}

static void
task_entry(struct transfer from)
{
    struct task *task = from.data;
    task->worker->scheduler_context = from.context;
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(
        NULL, &task->worker->asan_stack_bottom, &task->worker->asan_stack_size);
#endif
    task->run(task, task->arg);
    ASSERT(latches_held() == 0);
    task->ended = true;
    switch_to_scheduler(task);
    ASSERT(false); /* an ended task is never run again */
}

static void
task_free(struct worker *worker, struct task *task)
{
    timer_remove(worker, task);
    (void)pthread_mutex_lock(&worker->tasks_mutex);
    list_remove(&task->all);
    (void)pthread_mutex_unlock(&worker->tasks_mutex);
    stack_put(worker, task->stack);
#ifdef HAS_TSAN
    __tsan_destroy_fiber(task->tsan_fiber);
#endif
    mem_free(task);
    atomic_fetch_sub(&worker->task_count, 1);
    struct world *world = worker->world;
    if (atomic_fetch_sub(&world->task_count, 1) == 1) {
        /* The last one: every worker looks whether it may stop. */
        for (unsigned i = 0; i < world->worker_count; i++) {
            atomic_store(&world->workers[i].sleeping, 0);
            world->backend->wake(&world->workers[i]);
        }
    }
}

static void
run_task(struct worker *worker, struct task *task)
{
    /* An exchange, not a store: whoever unparked the queued task in vain (it had its permit) wrote
     * his news before, and the task must see them, as this permit is swallowed here. */
    (void)atomic_exchange(&task->state, TASK_RUNNING);
    worker->current = task;
    worker->streak = task == worker->last_run ? worker->streak + 1 : 0;
    worker->last_run = task;
    _mm_setcsr(_mm_getcsr() & ~0x3fU);
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(&worker->asan_scheduler_fake, task->stack, STACK_SIZE);
#endif
#ifdef HAS_TSAN
    __tsan_switch_to_fiber(task->tsan_fiber, 0);
#endif
    struct transfer back = jump_fcontext(task->context, task);
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(worker->asan_scheduler_fake, NULL, NULL);
#endif
    worker->current = NULL;
    task->context = back.context;
    if (task->ended) {
        task_free(worker, task);
    }
}

/* The tasks stay as they are; world__destroy unmaps their stacks. */
void
world__halt(struct world *world)
{
    ASSERT(world->worker_count == 1); /* nobody else reads the flag */
    world->halted = true;
    if (world->workers[0].current != NULL) {
        switch_to_scheduler(world->workers[0].current);
        ASSERT(false);
    }
}

/* Takes all out of the queue, and puts them in again, or where they are held. */
static void
sort_anew(struct worker *worker, struct task *task)
{
    while (task != NULL) {
        struct task *next = task->queue_next;
        queue_push(worker, task);
        task = next;
    }
}

void
world__hold(struct world *world, uint64_t processes)
{
    struct worker *worker = &world->workers[0];
    ASSERT(world->worker_count == 1);
    struct task *queued = worker->queue_head;
    worker->held |= processes;
    worker->queue_head = worker->queue_tail = NULL;
    worker->queue_count = 0;
    sort_anew(worker, queued);
}

void
world__release(struct world *world, uint64_t processes)
{
    struct worker *worker = &world->workers[0];
    struct task *held = worker->held_head;
    worker->held &= ~processes;
    worker->held_head = worker->held_tail = NULL;
    sort_anew(worker, held);
}

/* They stay in memory, neither queued nor parked, so that nobody can wake them. */
void
world__end_tasks(struct world *world, unsigned process)
{
    struct worker *worker = &world->workers[0];
    struct task *queued = worker->queue_head, *next;
    worker->queue_head = worker->queue_tail = NULL;
    worker->queue_count = 0;
    for (; queued != NULL; queued = next) {
        next = queued->queue_next;
        if (queued->process != process) {
            queue_push(worker, queued);
        }
    }
    LIST_FOREACH (node, &worker->tasks) {
        struct task *task = LIST_ENTRY(node, struct task, all);
        if (task->process == process) {
            ASSERT(task != worker->current);
            timer_remove(worker, task);
            atomic_store(&task->state, TASK_RUNNING);
            task->process = SIM_PROCESSES_MAX; /* of none that there will be */
        }
    }
}

bool
worker__alone(const struct worker *worker)
{
    return worker->streak >= ALONE_STREAK && worker->queue_head == NULL &&
           atomic_load_explicit(&worker->inbox, memory_order_relaxed) == NULL;
}

/* ---- the loop of a worker -----------------------------------------------------------------------
 */

static struct task *
take_runnable(struct worker *worker)
{
    struct task *task = worker->queue_head;
    if (task == NULL) {
        return NULL;
    }
    struct task *before = NULL;
    if (worker->world->backend->pick != NULL) {
        for (size_t skip = worker->world->backend->pick(worker); skip > 0; skip--) {
            before = task;
            task = task->queue_next;
        }
    }
    *(before == NULL ? &worker->queue_head : &before->queue_next) = task->queue_next;
    if (worker->queue_tail == task) {
        worker->queue_tail = before;
    }
    worker->queue_count--;
    return task;
}

static void
run_worker(struct worker *worker)
{
    struct world *world = worker->world;
    const struct backend *backend = world->backend;
    this_worker = worker;
#ifdef HAS_TSAN
    worker->tsan_scheduler = __tsan_get_current_fiber();
#endif
    unsigned runs = 0;
    while (atomic_load(&world->task_count) > 0 && !world->halted) {
        inbox_take(worker);
        struct task *task = take_runnable(worker);
        if (task != NULL) {
            if (runs == 0) {
                worker->slice_end_us = backend->clock_us(world) + SLICE_US;
            }
            run_task(worker, task);
            if (++runs < RUNS_PER_POLL && worker->slice_end_us != 0) {
                continue;
            }
        }
        runs = 0;
        int64_t now = backend->clock_us(world);
        timers_fire(worker, now);
        bool runnable = worker->queue_head != NULL;
        if (runnable) {
            (void)backend->idle(worker, 0);
            continue;
        }
        atomic_store(&worker->sleeping, 1);
        if (atomic_load(&worker->inbox) == NULL && atomic_load(&worker->finished) == NULL &&
            atomic_load(&world->task_count) > 0) {
            int64_t until = worker->timer_count == 0 ? WORLD_NEVER : wake_time(worker->timers[0]);
            if (!backend->idle(worker, until)) {
                break;
            }
        }
        atomic_store(&worker->sleeping, 0);
        if (worker->timer_count > 0) {
            timers_fire(worker, backend->clock_us(world));
        }
    }
    this_worker = NULL;
}

static void *
worker_main(void *arg)
{
    run_worker(arg);
    mem_thread_ends();
    return NULL;
}

void
world_run(struct world *world)
{
    sigset_t all;
    sigset_t usual;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &usual); /* signals come to this thread */
    for (unsigned i = 1; i < world->worker_count; i++) {
        int failed =
            pthread_create(&world->workers[i].thread, NULL, worker_main, &world->workers[i]);
        ASSERT(failed == 0);
    }
    (void)pthread_sigmask(SIG_SETMASK, &usual, NULL);
    run_worker(&world->workers[0]);
    mem_thread_ends();
    for (unsigned i = 1; i < world->worker_count; i++) {
        (void)pthread_join(world->workers[i].thread, NULL);
    }
}

void
world_stop(struct world *world)
{
    atomic_store(&world->stopping, 1);
    for (unsigned i = 0; i < world->worker_count; i++) {
        struct worker *worker = &world->workers[i];
        (void)pthread_mutex_lock(&worker->tasks_mutex);
        LIST_FOREACH (node, &worker->tasks) {
            task_interrupt(LIST_ENTRY(node, struct task, all), TASK_TERMINATE);
        }
        (void)pthread_mutex_unlock(&worker->tasks_mutex);
    }
}

/* ---- life of a world ----------------------------------------------------------------------------
 */

void
world__create(struct world *world, const struct backend *backend, unsigned worker_count)
{
    *world = (struct world){.backend = backend, .worker_count = worker_count};
    world->reported_count = worker_count;
    world->workers = mem_array(worker_count, sizeof *world->workers);
    for (unsigned i = 0; i < worker_count; i++) {
        struct worker *worker = &world->workers[i];
        worker->world = world;
        worker->index = i;
        worker->breaths_max = BREATHS_PER_CLOCK;
        worker->free_stacks = mem_array(FREE_STACKS_MAX, sizeof *worker->free_stacks);
        list_init(&worker->tasks);
        (void)pthread_mutex_init(&worker->tasks_mutex, NULL);
    }
}

void
world__destroy(struct world *world)
{
    for (unsigned i = 0; i < world->worker_count; i++) {
        struct worker *worker = &world->workers[i];
        while (!list_empty(&worker->tasks)) { /* tasks that could never run again (simulator) */
            struct task *task = LIST_ENTRY(worker->tasks.next, struct task, all);
            list_remove(&task->all);
            stack_unmap(task->stack);
#ifdef HAS_TSAN
            __tsan_destroy_fiber(task->tsan_fiber);
#endif
            mem_free(task);
        }
        while (worker->free_stack_count > 0) {
            stack_unmap(worker->free_stacks[--worker->free_stack_count]);
        }
        mem_free(worker->free_stacks);
        mem_free(worker->timers);
        (void)pthread_mutex_destroy(&worker->tasks_mutex);
    }
    mem_free(world->workers);
}

void
world_delete(struct world *world)
{
    world->backend->destroy(world);
    world__destroy(world);
    mem_free(world);
}

/* ---- tasks, for everybody -----------------------------------------------------------------------
 */

/* What comes next may be something else. */
static void
breathe_anew(struct task *task)
{
    unsigned most = task->worker->breaths_max;
    task->breaths_left = task->breath_stride =
        most < BREATHS_BEFORE_CLOCK ? most : BREATHS_BEFORE_CLOCK;
}

enum err
task_spawn(struct world *world, int worker_index, const char *name, task_main *run, void *arg,
    struct diag *diag)
{
    unsigned index = 0;
    if (worker_index == WORLD_ANY_WORKER) {
        for (unsigned i = 1; i < world->worker_count; i++) {
            if (atomic_load(&world->workers[i].task_count) <
                atomic_load(&world->workers[index].task_count)) {
                index = i;
            }
        }
    } else {
        index = (unsigned)worker_index % world->reported_count;
    }
    struct worker *worker = &world->workers[index % world->worker_count];
    void *stack = stack_get(worker);
    if (stack == NULL) {
        return diag_set(diag, ERR_LIMIT, "could not map a stack for task \"%s\"", name);
    }
    struct task *task = mem_zalloc(sizeof *task);
    task->worker = worker;
    task->worker_index = index;
    breathe_anew(task);
    const struct worker *here = current_worker();
    if (world->spawns_for != 0) {
        task->process = world->spawns_for - 1;
    } else if (here != NULL && here->current != NULL) {
        task->process = here->current->process;
    }
    task->serial = atomic_fetch_add(&world->task_serial, 1);
    task->name = name;
    task->run = run;
    task->arg = arg;
    task->stack = stack;
    task->timer_us = WORLD_NEVER;
    task->deadline_us = WORLD_NEVER;
    task->timer_index = SIZE_MAX;
    task->context = make_fcontext((uint8_t *)stack + STACK_SIZE, STACK_SIZE, task_entry);
#ifdef HAS_TSAN
    task->tsan_fiber = __tsan_create_fiber(0);
#endif
    atomic_store(&task->state, TASK_PERMIT);
    atomic_fetch_add(&world->task_count, 1);
    atomic_fetch_add(&worker->task_count, 1);
    (void)pthread_mutex_lock(&worker->tasks_mutex);
    list_push_back(&worker->tasks, &task->all);
    (void)pthread_mutex_unlock(&worker->tasks_mutex);
    /* In the list first: either world_stop finds it there, or we see that it came before. */
    if (atomic_load(&world->stopping) != 0) {
        atomic_fetch_or(&task->interrupts, TASK_TERMINATE);
    }
    if (worker == current_worker()) {
        queue_push(worker, task);
    } else {
        inbox_push(worker, task);
    }
    return ERR_OK;
}

struct world *
task_world(const struct task *task)
{
    return task->worker->world;
}

unsigned
task_worker(const struct task *task)
{
    return task->worker_index;
}

void
task_park(struct task *task, int64_t deadline_us)
{
    struct worker *worker = task->worker;
    ASSERT(worker->current == task);
    ASSERT(latches_held() == 0);
    int expected = TASK_PERMIT;
    if (atomic_compare_exchange_strong(&task->state, &expected, TASK_RUNNING)) {
        return;
    }
    if (deadline_us != WORLD_NEVER || task->timer_us != WORLD_NEVER) {
        task->timer_us = deadline_us;
        timer_update(worker, task);
    }
    /* Only this thread runs the task, so it may be queued from here on, before the switch. */
    expected = TASK_RUNNING;
    if (!atomic_compare_exchange_strong(&task->state, &expected, TASK_PARKED)) {
        (void)atomic_exchange(&task->state, TASK_RUNNING); /* the permit came just now */
        return;
    }
    if (task->breath_stride > BREATHS_BEFORE_CLOCK) {
        breathe_anew(task);
    }
    switch_to_scheduler(task);
}

void
task_unpark(struct task *task)
{
    int old = atomic_exchange(&task->state, TASK_PERMIT);
    if (old == TASK_PARKED) {
        struct worker *worker = task->worker;
        if (worker == current_worker()) {
            queue_push(worker, task);
        } else {
            inbox_push(worker, task);
        }
    }
}

void
task_yield(struct task *task)
{
    struct worker *worker = task->worker;
    ASSERT(worker->current == task && latches_held() == 0);
    atomic_store(&task->state, TASK_PERMIT);
    queue_push(worker, task);
    worker->slice_end_us = 0; /* the next one sets its own */
    switch_to_scheduler(task);
}

void
task_sleep(struct task *task, int64_t duration_us)
{
    struct world *world = task_world(task);
    int64_t until = world_clock_us(world) + duration_us;
    while (
        world_clock_us(world) < until && (atomic_load(&task->interrupts) & TASK_TERMINATE) == 0) {
        task_park(task, until);
    }
}

void
task_interrupt(struct task *task, enum task_interrupt what)
{
    atomic_fetch_or(&task->interrupts, (int)what);
    task_unpark(task);
}

void
task_interrupt_clear(struct task *task, enum task_interrupt what)
{
    atomic_fetch_and(&task->interrupts, ~(int)what);
}

enum err
task__interrupt_error(int set, struct diag *diag)
{
    if ((set & TASK_TERMINATE) != 0) {
        return diag_set(
            diag, ERR_ADMIN_SHUTDOWN, "terminating connection due to administrator command");
    }
    if ((set & TASK_TIMEOUT) != 0) {
        return diag_set(diag, ERR_QUERY_CANCELED, "canceling statement due to statement timeout");
    }
    if ((set & TASK_CANCEL) != 0) {
        return diag_set(diag, ERR_QUERY_CANCELED, "canceling statement due to user request");
    }
    return ERR_OK; /* TASK_NOTIFY */
}

enum err
task_interrupted(struct task *task, struct diag *diag)
{
    int set = atomic_load_explicit(&task->interrupts, memory_order_relaxed);
    return set == 0 ? ERR_OK : task__interrupt_error(set, diag);
}

void
task_set_deadline(struct task *task, int64_t deadline_us)
{
    if (task->deadline_us != deadline_us) {
        task->deadline_us = deadline_us;
        timer_update(task->worker, task);
    }
}

/* The clock is not read at each breath, but the oftener the longer they are apart. */
static void
look_at_clock(struct task *task)
{
    struct worker *worker = task->worker;
    const struct backend *backend = worker->world->backend;
    int64_t now = backend->clock_us(worker->world);
    unsigned stride = task->breath_stride;
    if (now >= worker->slice_end_us || (backend->tired != NULL && backend->tired(worker))) {
        bool late = now >= worker->slice_end_us + SLICE_US;
        stride = late ? stride / BREATHS_FEWER_WHEN_LATE : stride;
        if (task->deadline_us <= now) {
            task->deadline_us = WORLD_NEVER;
            timer_update(worker, task);
            atomic_fetch_or(&task->interrupts, TASK_TIMEOUT);
        }
        task_yield(task);
        worker->slice_end_us = backend->clock_us(worker->world) + SLICE_US;
    } else {
        stride = stride * 2 < worker->breaths_max ? stride * 2 : worker->breaths_max;
    }
    task->breath_stride = task->breaths_left = stride == 0 ? 1 : stride;
}

enum err
task_breathe(struct task *task, struct diag *diag)
{
    if (--task->breaths_left == 0) {
        look_at_clock(task);
    }
    return task_interrupted(task, diag);
}

void
task_trim_stack(struct task *task)
{
    enum {
        RED_ZONE = 256, /* leaf functions write below the stack pointer */
        PAGE = 4096,
    };
    uintptr_t here = (uintptr_t)__builtin_frame_address(0) - RED_ZONE;
    uintptr_t bottom = (uintptr_t)task->stack;
    ASSERT(here > bottom && here < bottom + STACK_SIZE && bottom % PAGE == 0);
#ifndef HAS_ASAN /* whose shadow of the stack would not follow */
    /* The page below ours stays: this very call needs it. */
    uintptr_t end = here / PAGE * PAGE;
    if (end >= bottom + 2 * PAGE) {
        (void)madvise(task->stack, end - PAGE - bottom, MADV_DONTNEED);
    }
#endif
}

size_t
task_stack_left(const struct task *task)
{
    /* The address of a local may be on ASan's fake stack; the frame address is not. */
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t bottom = (uintptr_t)task->stack;
    if (here <= bottom || here > bottom + STACK_SIZE) {
        return 0;
    }
    size_t left = (here - bottom) / STACK_SCALE; /* so that bounds mean the same in every build */
    return left > TASK_STACK_RESERVE ? left - TASK_STACK_RESERVE : 0;
}
