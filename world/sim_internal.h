/* world/sim_internal.h - the simulated back end: what its files share. */
#ifndef WORLD_SIM_INTERNAL_H
#define WORLD_SIM_INTERNAL_H

#include "base/bytes.h"
#include "world/world_internal.h"

/* What the trace tells apart. */
enum sim_event {
    SIM_RUN = 1,
    SIM_OFFLOAD,
    SIM_FILE_OPEN,
    SIM_FILE_READ,
    SIM_FILE_WRITE,
    SIM_FILE_SYNC,
    SIM_FILE_OTHER,
    SIM_DIRECTORY,
    SIM_NET_CONNECT,
    SIM_NET_SEND,
    SIM_NET_RECV,
    SIM_NET_CLOSE,
};

/* A run of bytes that a crash may still lose. */
struct sim_range {
    uint64_t offset;
    uint64_t size;
};

/* A file's content, twice: as the running system sees it, and as a crash would leave it. `unsynced`
 * names, in order, what the first has and the second has not; a crash chooses among those. */
struct sim_inode {
    struct buffer bytes;
    struct buffer durable;
    struct sim_range *unsynced;
    size_t unsynced_count, unsynced_capacity;
    unsigned links; /* names, living and durable, and open handles */
    bool directory;
    const struct world_file *locked_by;
};

struct sim_entry {
    char *path;
    struct sim_inode *inode;
};

/* Names to inodes, sorted by path. */
struct sim_names {
    struct sim_entry *entries;
    size_t count, capacity;
};

struct sim_world {
    struct world world; /* first: a struct world * is a struct sim_world * */
    struct world_sim_options options;
    uint64_t generator;
    int64_t now_us;
    struct sim_names names;   /* as the running system sees the tree */
    struct sim_names durable; /* as a crash would leave it: changed by world_sync_directory */
    struct list_node listeners;
    struct list_node sockets; /* all that exist, for the end */
    uint16_t last_port;
};

static inline struct sim_world *
sim_of(struct task *task)
{
    return (struct sim_world *)(void *)task_world(task);
}

/* A number below bound, the next of the seed's. */
uint64_t sim__draw(struct sim_world *sim, uint64_t bound);
/* Let an operation take its drawn time, and trace it. */
void sim__pause(struct task *task, enum sim_event event);

void sim__files_destroy(struct sim_world *sim);
void sim__net_destroy(struct sim_world *sim);

enum err sim__file_open(
    struct task *task, const char *path, int flags, struct world_file **file, struct diag *diag);
void sim__file_close(struct task *task, struct world_file *file);
enum err sim__file_read(struct task *task, struct world_file *file, uint64_t offset, void *bytes,
    size_t size, size_t *size_read, struct diag *diag);
enum err sim__file_write(struct task *task, struct world_file *file, uint64_t offset,
    const void *bytes, size_t size, struct diag *diag);
void sim__file_sync(struct task *task, struct world_file *file);
enum err sim__file_size(
    struct task *task, struct world_file *file, uint64_t *size, struct diag *diag);
enum err sim__file_truncate(
    struct task *task, struct world_file *file, uint64_t size, struct diag *diag);
enum err sim__file_preallocate(
    struct task *task, struct world_file *file, uint64_t size, struct diag *diag);
enum err sim__file_lock(struct task *task, struct world_file *file, struct diag *diag);
enum err sim__rename(struct task *task, const char *from, const char *to, struct diag *diag);
enum err sim__unlink(struct task *task, const char *path, struct diag *diag);
enum err sim__mkdir(struct task *task, const char *path, struct diag *diag);
void sim__sync_directory(struct task *task, const char *path);
enum err sim__list_directory(struct task *task, const char *path,
    void (*each)(void *arg, const char *name), void *arg, struct diag *diag);
bool sim__file_exists(struct task *task, const char *path);

enum err sim__listen(struct task *task, const char *host, uint16_t port,
    struct world_listener **listener, struct diag *diag);
enum err sim__accept(struct task *task, struct world_listener *listener,
    struct world_socket **socket, char *peer, struct diag *diag);
void sim__listener_close(struct task *task, struct world_listener *listener);
enum err sim__connect(struct task *task, const char *host, uint16_t port,
    struct world_socket **socket, struct diag *diag);
enum err sim__recv(struct task *task, struct world_socket *socket, void *bytes, size_t size,
    int64_t deadline_us, int obey, size_t *size_read, struct diag *diag);
enum err sim__send(struct task *task, struct world_socket *socket, const void *bytes, size_t size,
    struct diag *diag);
void sim__socket_close(struct task *task, struct world_socket *socket);

#endif /* WORLD_SIM_INTERNAL_H */
