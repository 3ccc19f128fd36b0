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
    SIM_CRASH,
    SIM_FAULT,
    SIM_KILL,
    SIM_STOP,
    SIM_PART,
};

enum {
    SIM_SECTOR = 512, /* the unit in which a crash tears writes */
};

/* A file's content, twice: as the running system sees it, and as it is on the disk. A set bit of
 * `dirty` says that the sector may differ; a crash chooses for each of them. */
struct sim_inode {
    struct buffer bytes;
    struct buffer durable;
    uint64_t *dirty;
    size_t dirty_words;
    unsigned links; /* names, living and durable, changes of names, and open handles */
    bool directory;
    bool temporary;    /* has no name, so no crash will ask for its content */
    uint64_t reported; /* number in the image being made */
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

/* A change of names that no sync of a directory has made durable. from NULL: a new name; to NULL: a
 * name removed; else a renaming. */
struct sim_change {
    struct sim_change *next;
    char *from, *to;
    struct sim_inode *inode;
};

struct sim_world {
    struct world world; /* first: a struct world * is a struct sim_world * */
    struct world_sim_options options;
    uint64_t generator;
    int64_t now_us;
    uint64_t io_count;
    uint64_t used; /* bytes in all living files */
    const char *crashed;
    struct sim_names names;                    /* as the running system sees the tree */
    struct sim_names durable;                  /* as it is on the disk */
    struct sim_change *changes, **changes_end; /* what the first has and the second has not */
    struct list_node files;                    /* open handles, for the end */
    struct list_node listeners;
    struct list_node sockets; /* all that exist, for the end */
    uint16_t last_port;
    /* of processes, sim_process.c */
    uint64_t apart[SIM_PROCESSES_MAX]; /* with which nothing is exchanged */
    uint64_t denied;
    const char *denied_directory;
    int64_t ahead_us[SIM_PROCESSES_MAX];
};

static inline struct sim_world *
sim_of(struct task *task)
{
    return (struct sim_world *)(void *)task_world(task);
}

/* A number below bound, the next of the seed's. */
uint64_t sim__draw(struct sim_world *sim, uint64_t bound);
/* Whether something of this chance in 65536 happens. Draws nothing for 0. */
bool sim__chance(struct sim_world *sim, uint32_t chance);
/* Let an operation take its drawn time, and trace it. */
void sim__pause(struct task *task, enum sim_event event);
/* Count a file operation: true if the world is to crash in it, which the caller does when what it
 * changes is pending. */
bool sim__io(struct task *task);
_Noreturn void sim__crash(struct sim_world *sim, const char *why);

/* sim_disk.c: names, contents, and what a crash leaves of both. */
bool sim__is_root(const char *path, size_t size);
struct sim_inode *sim__name_get(const struct sim_world *sim, const char *path);
/* Change the living names and note what is not durable yet. The name changed must exist. */
void sim__name_add(struct sim_world *sim, const char *path, struct sim_inode *inode);
void sim__name_remove(struct sim_world *sim, const char *path);
void sim__name_rename(struct sim_world *sim, const char *from, const char *to);
void sim__names_sync(struct sim_world *sim, const char *directory);
/* Whether `path` stands directly in `directory`; *name: its last part. */
bool sim__is_child(const char *path, const char *directory, const char **name);
size_t sim__parent_size(const char *path);

void sim__inode_release(struct sim_world *sim, struct sim_inode *inode);
/* Both fail if the disk is full; a write may then have been done in part. */
/* `lost`: what is written over does not become dirty, and so stays on the disk as it was. */
bool sim__inode_write(struct sim_world *sim, struct sim_inode *inode, uint64_t offset,
    const void *bytes, size_t size, bool lost);
bool sim__inode_resize(struct sim_world *sim, struct sim_inode *inode, uint64_t size);
/* Make the sectors of a range durable, and the size with them. */
void sim__inode_sync(struct sim_inode *inode, uint64_t offset, uint64_t size);
/* What a system does in its own time: some of what is dirty goes to the disk. */
void sim__inode_write_back(struct sim_world *sim, struct sim_inode *inode);
/* Turn a bit over, on the disk too. */
void sim__inode_rot(struct sim_world *sim, struct sim_inode *inode, uint64_t offset, size_t size);

void sim__disk_load(struct sim_world *sim, struct slice disk);

void sim__files_destroy(struct sim_world *sim); /* the open ones */
void sim__disk_destroy(struct sim_world *sim);
void sim__net_destroy(struct sim_world *sim);

/* What the system does for a process that has ended. */
void sim__net_kill(struct sim_world *sim, unsigned process);
void sim__files_kill(struct sim_world *sim, unsigned process);
/* Everybody who waits for the network looks again. */
void sim__net_wake(struct sim_world *sim);
/* May the task's process not open this? */
bool sim__denied(struct task *task, const char *path);

enum err sim__file_open(
    struct task *task, const char *path, int flags, struct world_file **file, struct diag *diag);
void sim__file_close(struct task *task, struct world_file *file);
enum err sim__file_read(struct task *task, struct world_file *file, uint64_t offset, void *bytes,
    size_t size, size_t *size_read, struct diag *diag);
enum err sim__file_write(struct task *task, struct world_file *file, uint64_t offset,
    const void *bytes, size_t size, struct diag *diag);
enum err sim__file_write_parts(struct task *task, struct world_file *file,
    const struct world_part *parts, unsigned count, struct diag *diag);
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
bool sim__file_in_place(struct task *task, const struct world_file *file);
bool sim__file_private(struct task *task, const struct world_file *file);

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
