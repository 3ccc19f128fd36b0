/*
 * world/os.c - the operating system's back end: event loop, helper threads, clock, signals.
 *
 * One epoll descriptor a worker, edge-triggered; an event's data names a struct os_waiter. Helper
 * threads take jobs from one queue; a job's end unparks its task.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/latch.h"
#include "base/mem.h"
#include "world/os_internal.h"

enum {
    EVENTS_PER_WAIT = 256,
    HELPERS_DEFAULT = 4,
    HELPER_STACK_SIZE = 256 * 1024,
};

static int64_t
read_clock(clockid_t which)
{
    struct timespec now;
    (void)clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t
os_clock_us(const struct world *world)
{
    (void)world;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t
os_wall_us(const struct world *world)
{
    (void)world;
    return read_clock(CLOCK_REALTIME);
}

static void
os_random_bytes(struct world *world, void *bytes, size_t size)
{
    (void)world;
    uint8_t *at = bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        } else {
            ASSERT(got < 0 && errno == EINTR);
        }
    }
}

static void
os_log(struct world *world, const char *line)
{
    (void)world;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct tm utc;
    (void)gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &utc);
    (void)fprintf(stderr, "%s.%03ld UTC %s\n", stamp, now.tv_nsec / 1000000, line);
}

_Noreturn void
os__die(struct world *world, const char *what, const char *path, int error)
{
    world_log(world,
        "PANIC: could not %s \"%s\": %s; the server ends here, because what is on "
        "disk is no longer certain, and recovers at the next start",
        what, path, strerror(error));
    _exit(134);
}

static void
os_die(struct world *world)
{
    (void)world;
    _exit(134);
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool
os_idle(struct worker *worker, int64_t deadline_us)
{
    struct os_world *own = (struct os_world *)(void *)worker->world;
    os__pulse_look(own->pulses, worker->index);
    struct epoll_event events[EVENTS_PER_WAIT];
    int timeout_ms = -1;
    struct timespec timeout = {0};
    struct timespec *wait = NULL;
    if (deadline_us != WORLD_NEVER) {
        int64_t left = deadline_us == 0 ? 0 : deadline_us - read_clock(CLOCK_MONOTONIC);
        left = left < 0 ? 0 : left;
        timeout = (struct timespec){.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
        wait = &timeout;
        timeout_ms = 0;
    }
    int count = deadline_us == 0
                    ? epoll_wait(worker->epoll_fd, events, EVENTS_PER_WAIT, timeout_ms)
                    : epoll_pwait2(worker->epoll_fd, events, EVENTS_PER_WAIT, wait, NULL);
    if (count < 0 && errno == ENOSYS) { /* Linux before 5.11: whole milliseconds, rounded up */
        int64_t left_ms = timeout.tv_sec * 1000 + (timeout.tv_nsec + 999999) / 1000000;
        timeout_ms = wait == NULL ? -1 : left_ms > INT_MAX ? INT_MAX : (int)left_ms;
        count = epoll_wait(worker->epoll_fd, events, EVENTS_PER_WAIT, timeout_ms);
    }
    for (int i = 0; i < count; i++) {
        struct os_waiter *waiter = events[i].data.ptr;
        if (waiter == NULL) { /* a wake: edge-triggered, so nobody need read the eventfd */
            continue;
        }
        waiter->readable = true;
        if ((events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
            waiter->hung_up = true;
        }
        if (waiter->task != NULL) {
            task_unpark(waiter->task);
        }
    }
    return true;
}

static void
os_wake(struct worker *worker)
{
    uint64_t one = 1;
    ssize_t put = write(worker->event_fd, &one, sizeof one);
    ASSERT(put == (ssize_t)sizeof one); /* the counter is 64 bits wide: it never fills */
}

enum err
os__wait_fd(
    struct task *task, int fd, struct os_waiter *waiter, int64_t deadline_us, struct diag *diag)
{
    if (!waiter->registered) {
        struct epoll_event event = {
            .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = waiter};
        if (epoll_ctl(task->worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            return diag_set(diag, ERR_LIMIT, "could not wait for a socket: %s", strerror(errno));
        }
        waiter->registered = true;
        waiter->worker = task->worker;
    }
    ASSERT(waiter->worker == task->worker); /* a descriptor is handed over once, before use */
    waiter->task = task;
    task_park(task, deadline_us);
    waiter->task = NULL;
    return ERR_OK;
}

void
os__forget_fd(int fd, struct os_waiter *waiter)
{
    if (waiter->registered) {
        (void)epoll_ctl(waiter->worker->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        waiter->registered = false;
    }
}

/* ---- helpers ------------------------------------------------------------------------------------
 */

static void *
helper_main(void *arg)
{
    struct os_world *own = arg;
    (void)pthread_mutex_lock(&own->jobs_mutex);
    for (;;) {
        while (own->jobs_head == NULL && !own->helpers_stop) {
            (void)pthread_cond_wait(&own->jobs_ready, &own->jobs_mutex);
        }
        struct os_job *job = own->jobs_head;
        if (job == NULL) {
            break;
        }
        own->jobs_head = job->next;
        if (own->jobs_head == NULL) {
            own->jobs_tail = NULL;
        }
        (void)pthread_mutex_unlock(&own->jobs_mutex);
        struct worker *worker = job->errand.task->worker;
        job->run(job->arg);
        worker__finish(worker, &job->errand);
        (void)pthread_mutex_lock(&own->jobs_mutex);
    }
    (void)pthread_mutex_unlock(&own->jobs_mutex);
    return NULL;
}

void
os__offload(struct task *task, void (*fn)(void *arg), void *arg)
{
    struct os_world *own = (struct os_world *)(void *)task->worker->world;
    struct os_job job = {.run = fn, .arg = arg, .errand = {.task = task}};
    (void)pthread_mutex_lock(&own->jobs_mutex);
    if (own->jobs_tail == NULL) {
        own->jobs_head = &job;
    } else {
        own->jobs_tail->next = &job;
    }
    own->jobs_tail = &job;
    (void)pthread_mutex_unlock(&own->jobs_mutex);
    (void)pthread_cond_signal(&own->jobs_ready); /* after: it would wake only to wait for us */
    while (!job.errand.done) {
        task_park(task, WORLD_NEVER);
    }
}

/* ---- signals ------------------------------------------------------------------------------------
 */

static int signal_write_fd = -1; /* one OS world a process listens to signals */

static void
signal_handler(int signal)
{
    int saved = errno;
    unsigned char byte = (unsigned char)signal;
    ssize_t put = write(signal_write_fd, &byte, 1);
    (void)put;
    errno = saved;
}

static void
signal_task_main(struct task *task, void *arg)
{
    struct os_world *own = arg;
    struct os_waiter waiter = {0};
    own->signal_task = task;
    while (task_interrupted(task, NULL) == ERR_OK) {
        unsigned char byte = 0;
        bool heard = own->world.on_signal != NULL;
        if (heard && read(own->signal_pipe[0], &byte, 1) == 1) {
            own->world.on_signal(own->world.on_signal_arg, byte);
            continue;
        }
        if (os__wait_fd(task, own->signal_pipe[0], &waiter, WORLD_NEVER, NULL) != ERR_OK) {
            world_log(&own->world, "could not listen to signals");
            break;
        }
    }
    own->signal_task = NULL;
    os__forget_fd(own->signal_pipe[0], &waiter);
}

static void
os_signals_heard(struct world *world)
{
    struct os_world *own = (struct os_world *)(void *)world;
    if (own->signal_task != NULL) {
        task_unpark(own->signal_task); /* some may wait in the pipe */
    }
}

/* Ten thousand clients are ten thousand descriptors; the usual soft limit is a thousand. */
static unsigned
raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return UINT_MAX;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            limit.rlim_cur = before;
        }
    }
    return limit.rlim_cur > UINT_MAX ? UINT_MAX : (unsigned)limit.rlim_cur;
}

/* ---- life ---------------------------------------------------------------------------------------
 */

static void
os_destroy(struct world *world)
{
    struct os_world *own = (struct os_world *)(void *)world;
    (void)pthread_mutex_lock(&own->jobs_mutex);
    own->helpers_stop = true;
    (void)pthread_cond_broadcast(&own->jobs_ready);
    (void)pthread_mutex_unlock(&own->jobs_mutex);
    for (unsigned i = 0; i < own->helper_count; i++) {
        (void)pthread_join(own->helpers[i], NULL);
    }
    mem_free(own->helpers);
    os__pulses_delete(own->pulses, world->worker_count);
    for (unsigned i = 0; i < world->worker_count; i++) {
        (void)close(world->workers[i].epoll_fd);
        (void)close(world->workers[i].event_fd);
    }
    if (own->signal_pipe[0] >= 0) {
        for (const int *signal_number = (const int[]){SIGINT, SIGTERM, SIGHUP, SIGQUIT, 0};
             *signal_number != 0; signal_number++) {
            (void)signal(*signal_number, SIG_DFL);
        }
        (void)close(own->signal_pipe[0]);
        (void)close(own->signal_pipe[1]);
    }
    (void)pthread_mutex_destroy(&own->jobs_mutex);
    (void)pthread_cond_destroy(&own->jobs_ready);
}

const struct backend os_backend = {
    .clock_us = os_clock_us,
    .wall_us = os_wall_us,
    .random_bytes = os_random_bytes,
    .idle = os_idle,
    .wake = os_wake,
    .offload = os__offload,
    .log = os_log,
    .die = os_die,
    .signals_heard = os_signals_heard,
    .file_open = os__file_open,
    .file_close = os__file_close,
    .file_read = os__file_read,
    .file_write = os__file_write,
    .file_write_parts = os__file_write_parts,
    .file_sync = os__file_sync,
    .file_size = os__file_size,
    .file_truncate = os__file_truncate,
    .file_preallocate = os__file_preallocate,
    .file_lock = os__file_lock,
    .rename = os__rename,
    .unlink = os__unlink,
    .mkdir = os__mkdir,
    .sync_directory = os__sync_directory,
    .list_directory = os__list_directory,
    .file_exists = os__file_exists,
    .file_in_place = os__file_in_place,
    .file_private = os__file_private,
    .listen = os__listen,
    .accept = os__accept,
    .listener_close = os__listener_close,
    .connect = os__connect,
    .recv = os__recv,
    .send = os__send,
    .socket_close = os__socket_close,
    .destroy = os_destroy,
};

static enum err
start_signals(struct os_world *own, struct diag *diag)
{
    if (pipe2(own->signal_pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
        return diag_set(diag, ERR_IO, "could not create a pipe: %s", strerror(errno));
    }
    signal_write_fd = own->signal_pipe[1];
    struct sigaction action = {.sa_handler = signal_handler, .sa_flags = SA_RESTART};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    (void)sigaction(SIGQUIT, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* EFBIG, which is a full disk to us */
    return task_spawn(&own->world, 0, "signals", signal_task_main, own, diag);
}

enum err
world_os_new(const struct world_os_options *options, struct world **world, struct diag *diag)
{
    unsigned worker_count = options->worker_count;
    if (worker_count == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        worker_count = processors < 1 ? 1 : (unsigned)processors;
    }
    if (worker_count > WORLD_WORKERS_MAX) {
        worker_count = WORLD_WORKERS_MAX;
    }
    struct os_world *own = mem_zalloc(sizeof *own);
    world__create(&own->world, &os_backend, worker_count);
    own->descriptors_max = raise_descriptor_limit();
    uint64_t seed = 0;
    os_random_bytes(&own->world, &seed, sizeof seed);
    atomic_store(&own->world.random_state, seed);
    for (unsigned i = 0; i < worker_count; i++) {
        struct worker *worker = &own->world.workers[i];
        worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        worker->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (worker->epoll_fd < 0 || worker->event_fd < 0) {
            return diag_set(diag, ERR_IO, "could not create an event loop: %s", strerror(errno));
        }
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
        (void)epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->event_fd, &event);
    }
    (void)pthread_mutex_init(&own->jobs_mutex, NULL);
    (void)pthread_cond_init(&own->jobs_ready, NULL);
    own->signal_pipe[0] = own->signal_pipe[1] = -1;
    own->helper_count = options->helper_count == 0 ? HELPERS_DEFAULT : options->helper_count;
    own->helpers = mem_array(own->helper_count, sizeof *own->helpers);
    /* Signals are the main thread's business: it may have blocked one for a moment. */
    sigset_t all;
    sigset_t usual;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &usual);
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, HELPER_STACK_SIZE);
    for (unsigned i = 0; i < own->helper_count; i++) {
        int failed = pthread_create(&own->helpers[i], &attributes, helper_main, own);
        ASSERT(failed == 0);
    }
    (void)pthread_attr_destroy(&attributes);
    own->pulses = os__pulses_new(&own->world);
    (void)pthread_sigmask(SIG_SETMASK, &usual, NULL);
    TRY(start_signals(own, diag));
    *world = &own->world;
    return ERR_OK;
}
