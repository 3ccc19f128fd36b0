/*
 * world/world.h - the one door out: tasks, clock, randomness, files, sockets.
 *
 * Everything above this room reaches the outside through these functions only, so that the same
 * code runs on the operating system (world_os_new) and inside a seeded, deterministic simulator
 * (world_sim_new).
 *
 * Rules
 *   - A task is a stackful fiber. It lives on one worker thread from birth to end and is never
 *     moved. Other tasks of the worker run only when it sleeps.
 *   - A function that may sleep takes `struct task *task` as its first parameter; no other does.
 *     The task passed is always the running one. Nothing sleeps while latches_held() > 0
 * (asserted).
 *   - Long loops call task_breathe.
 *   - Stacks are small (TASK_STACK_SIZE, with a guard page): nothing large lives on them, and
 *     recursion is bounded by its room, which asks task_stack_left.
 */
#ifndef WORLD_WORLD_H
#define WORLD_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

struct world;
struct task;
struct world_file;
struct world_listener;
struct world_socket;

typedef void task_main(struct task *task, void *arg);

enum {
    WORLD_WORKERS_MAX = 64,
    TASK_STACK_SIZE = 512 * 1024, /* address space; only touched pages cost memory */
    /* For libraries, which ask nobody: GMP keeps its temporaries there (156 KiB were measured for
     * the largest numbers of type numeric), and printf its. task_stack_left does not count it. */
    TASK_STACK_RESERVE = 320 * 1024,
};

/* ---- making and running one ---------------------------------------------------------------- */

struct world_os_options {
    unsigned worker_count; /* 0: one per processor */
    unsigned helper_count; /* threads for blocking file work; 0: 4 */
};

enum err world_os_new(
    const struct world_os_options *options, struct world **world, struct diag *diag);

/* What goes wrong in a simulated world: chances in 65536 for each operation. */
struct world_sim_faults {
    uint32_t read_error;  /* ERR_IO */
    uint32_t write_error; /* ERR_IO; a durable write's ends the process, as a failed sync does */
    uint32_t sync_error;  /* ends the process */
    uint32_t write_lie;   /* a durable write or a directory's sync is reported done, and is not */
    uint32_t sync_lie;    /* a file's sync */
    uint32_t write_lost;  /* a write over what is there never reaches the disk, synced or not */
    const char *lie_name; /* the last part of the path of the files that the last two are for; NULL:
                             all */
    uint32_t rot;         /* a read finds a bit of a named file turned over, for good */
    uint32_t slow;        /* an operation takes up to a hundred times as long */
    uint32_t cut;         /* a send breaks its connection; what is under way is lost */
    uint64_t disk_size;   /* bytes in all files, then ERR_DISK_FULL; 0: endless */
};

/* A zero struct is a kind world: short random delays only. */
struct world_sim_options {
    unsigned worker_count; /* what world_worker_count reports; all tasks run on one thread. 0: 2 */
    int64_t delay_us_max;  /* each file or network operation takes 0..this; 0: 200 */
    int64_t disk_us_max;   /* each file operation takes 0..this; 0: delay_us_max */
    struct world_sim_faults faults;
    struct slice disk;    /* what world_sim_disk made of an earlier world; size 0: an empty disk */
    uint64_t crash_at_io; /* crash at this file operation, counted from 1; 0: never */
    int64_t crash_at_us;  /* crash at this time; 0: never */
    bool quiet;           /* no log */
};

/* A world in memory: files, a network of its own, a clock that jumps to the next event, all
 * choices drawn from `seed`. The same seed and program give the same trace. */
struct world *world_sim_new(uint64_t seed, const struct world_sim_options *options);

/* A running hash of every scheduling decision and I/O of a simulated world; 0 on the real one. */
uint64_t world_trace_hash(const struct world *world);

/*
 * A crash is the end of everything in the world at once: no task runs again, world_run returns. It
 * comes from the options, from world_sim_crash, or from world_die (a failed sync). The next life
 * is a new world with the disk that is left. Memory of the tasks is not freed: let each life be a
 * process of its own, or leak.
 */
_Noreturn void world_sim_crash(struct task *task, const char *why);
/* NULL, or why it crashed. */
const char *world_sim_crashed(const struct world *world);
/* The clock, without the tick that each look by world_clock_us costs: for who only watches. */
int64_t world_sim_now_us(const struct world *world);
/* File operations so far. */
uint64_t world_sim_io_count(const struct world *world);
/* From now on. */
void world_sim_set_faults(struct world *world, const struct world_sim_faults *faults);

/*
 * A simulated world may have several processes, numbered from 0, which is that of whoever is not
 * told otherwise: a task is of the process of who spawns it. What follows is called by a task of
 * another process.
 */
enum {
    SIM_PROCESSES_MAX = 16,
};
enum err world_sim_spawn(struct world *world, unsigned process, const char *name, task_main *run,
    void *arg, struct diag *diag);
/* As by SIGKILL. What was not synced stays so. The number may be used again. */
void world_sim_kill(struct world *world, unsigned process);
/* As by SIGSTOP and SIGCONT. */
void world_sim_stop(struct world *world, unsigned process);
void world_sim_continue(struct world *world, unsigned process);
/* Nothing arrives between the two; it is under way until they are together again. */
void world_sim_part(struct world *world, unsigned a, unsigned b, bool apart);
/* What is below this directory the process cannot open; NULL: it can again. One directory a world.
 */
void world_sim_deny(struct world *world, unsigned process, const char *directory);
void world_sim_set_wall(struct world *world, unsigned process, int64_t ahead_us);

/* As if the process got this signal (world_on_signal). On a task. */
void world_sim_signal(struct world *world, int signal);

enum world_sim_end {
    WORLD_SIM_KILLED,    /* the process ended, the system goes on: the disk as it was seen, and
                            what was not synced is so still */
    WORLD_SIM_POWER_CUT, /* of what was not synced, any part is there: writes by sectors of 512
                            bytes, names by operations */
};
/* After world_run, once: the disk that is left, appended to `disk`. */
void world_sim_disk(struct world *world, enum world_sim_end end, struct buffer *disk);

void world_delete(struct world *world);

/* Run until world_stop and all tasks have ended, or (simulator) nothing can ever happen again.
 * The calling thread becomes worker 0. Spawn the first task before. */
void world_run(struct world *world);

/* From any thread or task. Every task gets TASK_TERMINATE; world_run returns when all ended. */
void world_stop(struct world *world);

unsigned world_worker_count(const struct world *world);

/* ---- clock and chance ----------------------------------------------------------------------- */

int64_t world_clock_us(const struct world *world); /* monotonic, from an arbitrary start */
int64_t world_wall_us(const struct world *world);  /* since 1970-01-01 00:00 UTC */
uint64_t world_random(struct world *world);        /* any thread; not for secrets */
void world_random_bytes(struct world *world, void *bytes, size_t size); /* good for secrets */

/* ---- tasks ---------------------------------------------------------------------------------- */

enum {
    WORLD_ANY_WORKER = -1
};

/* Start a task on a worker (an index, or WORLD_ANY_WORKER for the least loaded); from any thread.
 * `name` must outlive it. ERR_LIMIT when there is no room for a stack. */
enum err task_spawn(struct world *world, int worker, const char *name, task_main *run, void *arg,
    struct diag *diag);

struct world *task_world(const struct task *task);
unsigned task_worker(const struct task *task);

#define WORLD_NEVER INT64_MAX

/*
 * Sleep until task_unpark, an interrupt, or the clock reaches deadline_us (WORLD_NEVER: no
 * deadline). Works with a permit: an unpark that came before the park is not lost, and makes the
 * next park return at once. May return early for no reason, so callers loop over their condition:
 *
 *     while (!condition_holds(x)) { task_park(task, deadline); check interrupt, deadline }
 *
 * Interrupts only wake it; whether to obey is the caller's business (task_interrupted).
 */
void task_park(struct task *task, int64_t deadline_us);

/* From any thread. The task must not have ended: whoever can be unparked deregisters before it
 * returns. */
void task_unpark(struct task *task);

/* Sleep at least this long, deaf to interrupts other than TASK_TERMINATE. */
void task_sleep(struct task *task, int64_t duration_us);

/* Let the others of this worker run. */
void task_yield(struct task *task);

/* Interrupts stick until cleared. */
enum task_interrupt {
    TASK_CANCEL = 1,    /* 57014 canceling statement due to user request */
    TASK_TIMEOUT = 2,   /* 57014 canceling statement due to statement timeout */
    TASK_NOTIFY = 8,    /* no error but in world_recv, if it obeys: ERR_NOTIFIED */
    TASK_TERMINATE = 4, /* 57P01 terminating connection due to administrator command */
};
void task_interrupt(struct task *task, enum task_interrupt what); /* any thread */
void task_interrupt_clear(struct task *task, enum task_interrupt what);
/* ERR_OK, or the error of the most severe pending interrupt, set in diag. Does not sleep, does not
 * clear. */
enum err task_interrupted(struct task *task, struct diag *diag);
/* Raise TASK_TIMEOUT when the clock reaches this; WORLD_NEVER takes it back. */
void task_set_deadline(struct task *task, int64_t deadline_us);

/* Give the pages of the stack that are not in use back to the system: for a task that will sleep
 * long. They come back, zeroed, when touched. */
void task_trim_stack(struct task *task);

/* For long loops: yields when the time slice (about 1 ms) is over, then task_interrupted. Cheap
 * enough for every row. */
enum err task_breathe(struct task *task, struct diag *diag);

/* Bytes of stack that the caller may still use below itself: recursion checks it and answers
 * 54001. What is left then is TASK_STACK_RESERVE. */
size_t task_stack_left(const struct task *task);

/* Run fn(arg) on a helper thread while the task sleeps (password hashing, DNS). In the simulator it
 * runs in place after a drawn delay. fn may not touch tasks or latches that are held elsewhere. */
void world_offload(struct task *task, void (*fn)(void *arg), void *arg);

/* ---- files ---------------------------------------------------------------------------------- */

/* Paths are plain; the simulator has a flat in-memory tree with directories. All sizes in bytes.
 * Errors: ERR_IO with path and the system's words, ERR_UNDEFINED_FILE, ERR_DISK_FULL. */

enum world_file_flags {
    WORLD_FILE_READ = 1,
    WORLD_FILE_WRITE = 2,     /* implies read */
    WORLD_FILE_CREATE = 4,    /* if missing */
    WORLD_FILE_EXCLUSIVE = 8, /* with CREATE: must be missing */
    WORLD_FILE_DURABLE = 16,  /* each write is durable when it returns (O_DIRECT and RWF_DSYNC where
                                the file system can, else fdatasync). Offsets, sizes and addresses
                                are then multiples of WORLD_BLOCK_SIZE. */
    /* Read and written, and without a name: it is gone when it is closed or the process ends. The
     * last part of the path is only what it is called in errors (many may be called the same); its
     * directory must exist. Never synced. */
    WORLD_FILE_TEMPORARY = 32,
};
enum {
    WORLD_BLOCK_SIZE = 4096
};

enum err world_file_open(
    struct task *task, const char *path, int flags, struct world_file **file, struct diag *diag);
/* Sleeps if the file is a temporary one: its space is given back. */
void world_file_close(struct task *task, struct world_file *file);
const char *world_file_path(const struct world_file *file);

/* Reads up to size bytes; *size_read is less only at the end of the file. */
enum err world_file_read(struct task *task, struct world_file *file, uint64_t offset, void *bytes,
    size_t size, size_t *size_read, struct diag *diag);
/* Writes all, or fails. After a failure any part may have been written. */
enum err world_file_write(struct task *task, struct world_file *file, uint64_t offset,
    const void *bytes, size_t size, struct diag *diag);
struct world_part {
    uint64_t offset;
    const void *bytes;
    size_t size;
};
/* The same for several places at once, in this order: one hand-over for all. */
enum err world_file_write_parts(struct task *task, struct world_file *file,
    const struct world_part *parts, unsigned count, struct diag *diag);
/* fdatasync. A failure does not return: it logs and ends the process (P7); in the simulator it
 * crashes the simulated node. A failed WORLD_FILE_DURABLE write whose fate is unknown (EIO) too. */
void world_file_sync(struct task *task, struct world_file *file);
enum err world_file_size(
    struct task *task, struct world_file *file, uint64_t *size, struct diag *diag);
enum err world_file_truncate(
    struct task *task, struct world_file *file, uint64_t size, struct diag *diag);
/* Allocate and zero-fill [0, size): writes there need no metadata later. Durable on return. */
enum err world_file_preallocate(
    struct task *task, struct world_file *file, uint64_t size, struct diag *diag);
/* An exclusive lock for the process's life; ERR_OBJECT_IN_USE if another process holds it. */
enum err world_file_lock(struct task *task, struct world_file *file, struct diag *diag);

enum err world_rename(struct task *task, const char *from, const char *to, struct diag *diag);
enum err world_unlink(struct task *task, const char *path, struct diag *diag);
/* Durable on return. Existing is fine. */
enum err world_mkdir(struct task *task, const char *path, struct diag *diag);
/* Make creations, renames and unlinks in this directory durable. Failure ends the process. */
void world_sync_directory(struct task *task, const char *path);
/* Calls each(arg, name) for every entry but . and .., in byte order. */
enum err world_list_directory(struct task *task, const char *path,
    void (*each)(void *arg, const char *name), void *arg, struct diag *diag);
bool world_file_exists(struct task *task, const char *path);
/* All of a small file, added to `bytes`. size_max: the largest that is taken; a larger one is
 * ERR_CONFIG_FILE. */
enum err world_file_read_all(
    struct task *task, const char *path, size_t size_max, struct buffer *bytes, struct diag *diag);
/* Puts a small file under its name, whole or not at all, by way of "<path>.new" in the same
 * directory. Durable on return. */
enum err world_file_replace(struct task *task, const char *directory, const char *name,
    const void *bytes, size_t size, struct diag *diag);
/* Does the file's path still lead to it? False: it was removed or replaced under our hands. */
bool world_file_in_place(struct task *task, const struct world_file *file);
/* Is it kept from others? Ours and for us alone, or root's, and its group may read it. */
bool world_file_private(struct task *task, const struct world_file *file);
/* A directory for temporary files: made if it is missing, and emptied of the files in it. */
enum err world_temp_directory(struct task *task, const char *path, struct diag *diag);

/* ---- sockets -------------------------------------------------------------------------------- */

/* TCP, or in the simulator its own lossless-in-order streams with delays and resets. world/tls.h
 * encrypts them. */
enum err world_listen(struct task *task, const char *host, uint16_t port,
    struct world_listener **listener, struct diag *diag);
uint16_t world_listener_port(const struct world_listener *listener); /* what port 0 became */
/* Sleeps. ERR_ADMIN_SHUTDOWN on TASK_TERMINATE or after world_listener_close. The socket may be
 * used from then on by one task of any worker (handed over once). `peer` (64 bytes or NULL) gets
 * "address:port". */
enum err world_accept(struct task *task, struct world_listener *listener,
    struct world_socket **socket, char *peer, struct diag *diag);
void world_listener_close(struct task *task, struct world_listener *listener);

enum err world_connect(struct task *task, const char *host, uint16_t port,
    struct world_socket **socket, struct diag *diag);
/* Wait for at least one byte. *size_read == 0: the peer closed. ERR_QUERY_CANCELED etc. on an
 * interrupt that is in `obey` (a set of enum task_interrupt); ERR_LOCK_NOT_AVAILABLE never;
 * ERR_IDLE_SESSION_TIMEOUT when deadline_us passed; ERR_CONNECTION_FAILURE on a reset. */
enum err world_recv(struct task *task, struct world_socket *socket, void *bytes, size_t size,
    int64_t deadline_us, int obey, size_t *size_read, struct diag *diag);
/* Sends all. Obeys TASK_TERMINATE and TASK_CANCEL only while the peer does not read for long. */
enum err world_send(struct task *task, struct world_socket *socket, const void *bytes, size_t size,
    struct diag *diag);
void world_socket_close(struct task *task, struct world_socket *socket);

/* ---- the process ---------------------------------------------------------------------------- */

/* One line to the log (stderr) with a time stamp. Any thread. */
void world_log(struct world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Log and end the process at once, as a failed sync does: what is on disk is no longer certain. */
_Noreturn void world_die(struct world *world, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Signals as an event: calls on_signal(arg, signal) on a task of worker 0, also for those that came
 * before there was a handler. SIGINT, SIGTERM, SIGHUP and SIGQUIT; SIGPIPE is ignored. NULL: they
 * are kept until there is one again. Worker 0 only. In the simulator: from world_sim_signal. */
void world_on_signal(struct world *world, void (*on_signal)(void *arg, int signal), void *arg);

#endif /* WORLD_WORLD_H */
