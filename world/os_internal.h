/* world/os_internal.h - the operating system's back end: what its files share. */
#ifndef WORLD_OS_INTERNAL_H
#define WORLD_OS_INTERNAL_H

#include "world/world_internal.h"

/* A piece of blocking work for a helper thread. Lives on the sleeping task's stack. */
struct os_job {
    void (*run)(void *arg);
    void *arg;
    struct errand errand;
    struct os_job *next;
};

struct os_world {
    struct world world; /* first: a struct world * is a struct os_world * */
    pthread_t *helpers;
    unsigned helper_count;
    pthread_mutex_t jobs_mutex;
    pthread_cond_t jobs_ready;
    struct os_job *jobs_head, *jobs_tail;
    bool helpers_stop;
    struct os_pulse *pulses; /* one a worker */
    int signal_pipe[2];
    struct task *signal_task; /* worker 0's */
    unsigned descriptors_max;
    _Atomic int64_t refused_us; /* when a connection was last refused for want of descriptors */
};

/* What an epoll event names: whoever waits for the descriptor. */
struct os_waiter {
    struct task *task; /* NULL: nobody */
    struct worker *worker;
    bool registered;
    bool readable; /* false: a recv would certainly block until the next edge */
    bool hung_up;  /* end or error of the stream was seen: there will be no edge for it again */
};

void os__offload(struct task *task, void (*fn)(void *arg), void *arg);
/* Register fd with the task's worker (once) and sleep until an edge, a deadline or an interrupt.
 * ERR_LIMIT when the kernel has no memory for it. */
enum err os__wait_fd(
    struct task *task, int fd, struct os_waiter *waiter, int64_t deadline_us, struct diag *diag);
void os__forget_fd(int fd, struct os_waiter *waiter);
/* Log in plain words and end the process at once: after a failed sync (P7). */
_Noreturn void os__die(struct world *world, const char *what, const char *path, int error);

/* A thread for each worker that shortens the turns on its processor while it must share it. */
struct os_pulse *os__pulses_new(struct world *world);
void os__pulses_delete(struct os_pulse *pulses, unsigned count);
/* The worker itself, each time it polls. */
void os__pulse_look(struct os_pulse *pulses, unsigned worker_index);

extern const struct backend os_backend;

enum err os__file_open(
    struct task *task, const char *path, int flags, struct world_file **file, struct diag *diag);
void os__file_close(struct task *task, struct world_file *file);
enum err os__file_read(struct task *task, struct world_file *file, uint64_t offset, void *bytes,
    size_t size, size_t *size_read, struct diag *diag);
enum err os__file_write(struct task *task, struct world_file *file, uint64_t offset,
    const void *bytes, size_t size, struct diag *diag);
enum err os__file_write_parts(struct task *task, struct world_file *file,
    const struct world_part *parts, unsigned count, struct diag *diag);
void os__file_sync(struct task *task, struct world_file *file);
enum err os__file_size(
    struct task *task, struct world_file *file, uint64_t *size, struct diag *diag);
enum err os__file_truncate(
    struct task *task, struct world_file *file, uint64_t size, struct diag *diag);
enum err os__file_preallocate(
    struct task *task, struct world_file *file, uint64_t size, struct diag *diag);
enum err os__file_lock(struct task *task, struct world_file *file, struct diag *diag);
enum err os__rename(struct task *task, const char *from, const char *to, struct diag *diag);
enum err os__unlink(struct task *task, const char *path, struct diag *diag);
enum err os__mkdir(struct task *task, const char *path, struct diag *diag);
void os__sync_directory(struct task *task, const char *path);
enum err os__list_directory(struct task *task, const char *path,
    void (*each)(void *arg, const char *name), void *arg, struct diag *diag);
bool os__file_exists(struct task *task, const char *path);
bool os__file_in_place(struct task *task, const struct world_file *file);
bool os__file_private(struct task *task, const struct world_file *file);

enum err os__listen(struct task *task, const char *host, uint16_t port,
    struct world_listener **listener, struct diag *diag);
enum err os__accept(struct task *task, struct world_listener *listener,
    struct world_socket **socket, char *peer, struct diag *diag);
void os__listener_close(struct task *task, struct world_listener *listener);
enum err os__connect(struct task *task, const char *host, uint16_t port,
    struct world_socket **socket, struct diag *diag);
enum err os__recv(struct task *task, struct world_socket *socket, void *bytes, size_t size,
    int64_t deadline_us, int obey, size_t *size_read, struct diag *diag);
enum err os__send(struct task *task, struct world_socket *socket, const void *bytes, size_t size,
    struct diag *diag);
void os__socket_close(struct task *task, struct world_socket *socket);

#endif /* WORLD_OS_INTERNAL_H */
