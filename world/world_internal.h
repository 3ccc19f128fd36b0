/*
 * world/world_internal.h - the scheduler's structs, and the table of what a back end does.
 *
 * A worker is a thread (in the simulator: the only one) with a queue of runnable tasks. The back
 * end supplies `idle`: gather events, at most until a deadline. Everything a back end does to a
 * task goes through task_unpark.
 *
 * Task states (task->state), the permit protocol:
 *     RUNNING  on the processor or in the run queue, no permit
 *     PERMIT   an unpark came; the next park returns at once. Also: queued to run because of it
 *     PARKED   asleep; whoever moves it PARKED -> PERMIT queues it, so it is queued once
 */
#ifndef WORLD_WORLD_INTERNAL_H
#define WORLD_WORLD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "world/world.h"

enum task_state {
    TASK_RUNNING,
    TASK_PERMIT,
    TASK_PARKED,
};

struct worker;

/* Work that another thread does for a sleeping task; lies on that task's stack. worker__finish is
 * the other thread's last touch of both: only the worker itself sets `done` and unparks. */
struct errand {
    struct task *task;
    struct errand *next;
    bool done;
};

struct task {
    void *context; /* where it stopped (boost.context) */
    struct worker *worker;
    const char *name;
    task_main *run;
    void *arg;
    void *stack; /* lowest usable address */
    _Atomic int state;
    _Atomic int interrupts;               /* set of enum task_interrupt */
    struct task *queue_next;              /* run queue or inbox */
    int64_t timer_us;                     /* when to wake from a park; WORLD_NEVER */
    int64_t deadline_us;                  /* task_set_deadline */
    size_t timer_index;                   /* in worker->timers; SIZE_MAX: not there */
    unsigned breaths_left, breath_stride; /* until task_breathe looks at the clock */
    unsigned process;                     /* simulator */
    unsigned worker_index; /* what task_worker says; the simulator has one thread for all */
    uint64_t serial;       /* order of birth, for the simulator's trace */
    bool ended;
    struct list_node all; /* worker->tasks */
    void *asan_fake_stack;
    void *tsan_fiber;
};

struct worker {
    struct world *world;
    unsigned index;
    pthread_t thread;
    struct task *current;
    void *scheduler_context;
    struct task *queue_head, *queue_tail; /* runnable; this thread only */
    size_t queue_count;
    uint64_t held;                      /* simulator: processes whose tasks do not run now */
    struct task *held_head, *held_tail; /* runnable, but for that */
    _Atomic(struct task *) inbox;       /* from other threads, newest first */
    _Atomic(struct errand *) finished;  /* from other threads, newest first */
    _Atomic int sleeping;               /* about to wait for events, or waiting */
    struct task **timers;               /* binary heap by wake_time */
    size_t timer_count, timer_capacity;
    struct list_node tasks; /* under tasks_latch: all alive tasks of this worker */
    pthread_mutex_t tasks_mutex;
    _Atomic unsigned task_count;
    void **free_stacks;
    size_t free_stack_count;
    int64_t slice_end_us;
    const struct task *last_run; /* only to compare: it may have ended */
    unsigned streak;             /* how often last_run ran with no other between */
    unsigned breaths_max;        /* of breath_stride */
    int epoll_fd, event_fd;      /* OS back end */
    void *asan_scheduler_fake;
    const void *asan_stack_bottom;
    size_t asan_stack_size;
    void *tsan_scheduler;
};

/* What the handles of both back ends begin with. */
struct world_file {
    char *path;
};

struct world_listener {
    uint16_t port;
};

struct tls_stream;

struct world_socket {
    struct tls_stream *tls; /* NULL: plain. world/tls.c's; the back ends move bytes either way */
};

struct backend {
    int64_t (*clock_us)(const struct world *world);
    int64_t (*wall_us)(const struct world *world);
    void (*random_bytes)(struct world *world, void *bytes, size_t size);
    /* Wait for events until deadline_us (0: only look; WORLD_NEVER). False: nothing can ever
     * happen again (simulator). */
    bool (*idle)(struct worker *worker, int64_t deadline_us);
    void (*wake)(struct worker *worker); /* from any thread: end idle */
    /* Which of queue_count runnable tasks runs next; NULL: the first. */
    size_t (*pick)(struct worker *worker);
    /* Whether a breathing task loses the processor before its slice is over; NULL: no. */
    bool (*tired)(struct worker *worker);
    void (*offload)(struct task *task, void (*fn)(void *arg), void *arg);
    void (*log)(struct world *world, const char *line);
    void (*die)(struct world *world);
    void (*signals_heard)(struct world *world); /* there is a handler now; NULL: no signals */

    enum err (*file_open)(struct task *task, const char *path, int flags, struct world_file **file,
        struct diag *diag);
    void (*file_close)(struct task *task, struct world_file *file);
    enum err (*file_read)(struct task *task, struct world_file *file, uint64_t offset, void *bytes,
        size_t size, size_t *size_read, struct diag *diag);
    enum err (*file_write)(struct task *task, struct world_file *file, uint64_t offset,
        const void *bytes, size_t size, struct diag *diag);
    enum err (*file_write_parts)(struct task *task, struct world_file *file,
        const struct world_part *parts, unsigned count, struct diag *diag);
    void (*file_sync)(struct task *task, struct world_file *file);
    enum err (*file_size)(
        struct task *task, struct world_file *file, uint64_t *size, struct diag *diag);
    enum err (*file_truncate)(
        struct task *task, struct world_file *file, uint64_t size, struct diag *diag);
    enum err (*file_preallocate)(
        struct task *task, struct world_file *file, uint64_t size, struct diag *diag);
    enum err (*file_lock)(struct task *task, struct world_file *file, struct diag *diag);
    enum err (*rename)(struct task *task, const char *from, const char *to, struct diag *diag);
    enum err (*unlink)(struct task *task, const char *path, struct diag *diag);
    enum err (*mkdir)(struct task *task, const char *path, struct diag *diag);
    void (*sync_directory)(struct task *task, const char *path);
    enum err (*list_directory)(struct task *task, const char *path,
        void (*each)(void *arg, const char *name), void *arg, struct diag *diag);
    bool (*file_exists)(struct task *task, const char *path);
    bool (*file_in_place)(struct task *task, const struct world_file *file);
    bool (*file_private)(struct task *task, const struct world_file *file);

    enum err (*listen)(struct task *task, const char *host, uint16_t port,
        struct world_listener **listener, struct diag *diag);
    enum err (*accept)(struct task *task, struct world_listener *listener,
        struct world_socket **socket, char *peer, struct diag *diag);
    void (*listener_close)(struct task *task, struct world_listener *listener);
    enum err (*connect)(struct task *task, const char *host, uint16_t port,
        struct world_socket **socket, struct diag *diag);
    enum err (*recv)(struct task *task, struct world_socket *socket, void *bytes, size_t size,
        int64_t deadline_us, int obey, size_t *size_read, struct diag *diag);
    enum err (*send)(struct task *task, struct world_socket *socket, const void *bytes, size_t size,
        struct diag *diag);
    void (*socket_close)(struct task *task, struct world_socket *socket);
    void (*destroy)(struct world *world);
};

struct world {
    const struct backend *backend;
    struct worker *workers;
    unsigned worker_count;   /* threads */
    unsigned reported_count; /* world_worker_count */
    _Atomic int stopping;
    bool halted;         /* simulator: crashed, no task runs again */
    unsigned spawns_for; /* simulator: 0, or a process's number plus 1 */
    _Atomic unsigned task_count;
    _Atomic uint64_t task_serial;
    _Atomic uint64_t random_state;
    uint64_t trace; /* simulator */
    void (*on_signal)(void *arg, int signal);
    void *on_signal_arg;
    void *own; /* the back end's */
};

/* world_recv, world_send and the goodbye of a socket with TLS. */
enum err tls__recv(struct task *task, struct world_socket *socket, void *bytes, size_t size,
    int64_t deadline_us, int obey, size_t *size_read, struct diag *diag);
enum err tls__send(struct task *task, struct world_socket *socket, const void *bytes, size_t size,
    struct diag *diag);
void tls__close(struct task *task, struct world_socket *socket);

void world__create(struct world *world, const struct backend *backend, unsigned worker_count);
void world__destroy(struct world *world);
/* From any thread: the errand is done. Its last touch by the caller. */
void worker__finish(struct worker *worker, struct errand *errand);
/* Whether the running task is for some time the only one that did anything on its worker. */
bool worker__alone(const struct worker *worker);
/* Simulator: nothing of this world runs again. Called on a task, or off all of them. */
void world__halt(struct world *world);
/* Simulator: tasks of these processes do not run, until they are released; of this one, never
 * again. */
void world__hold(struct world *world, uint64_t processes);
void world__release(struct world *world, uint64_t processes);
void world__end_tasks(struct world *world, unsigned process);
/* Mix a decision into the simulator's trace. */
void world__trace(struct world *world, uint64_t what);
/* Error of an interrupt in `set`, or ERR_OK. */
enum err task__interrupt_error(int set, struct diag *diag);

#endif /* WORLD_WORLD_INTERNAL_H */
