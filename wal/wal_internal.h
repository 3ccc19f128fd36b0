/* wal/wal_internal.h - what a log is made of. Invariants W1.. are in README.md and wal.c. */
#ifndef WAL_WAL_INTERNAL_H
#define WAL_WAL_INTERNAL_H

#include <stdatomic.h>

#include "base/latch.h"
#include "base/list.h"
#include "wal/wal.h"

enum {
    BLOCK = WORLD_BLOCK_SIZE,
    OPEN_SEGMENTS = 8,
};

struct open_segment {
    uint64_t number;
    struct world_file *file;
};

struct waiter {
    struct list_node node;
    struct task *task;
    uint64_t lsn;
    bool linked;
};

struct wal {
    struct world *world;
    char *directory;
    uint64_t segment_size;

    /* Reading. */
    uint64_t read_at;
    uint8_t *window; /* bytes [window_at, window_at + window_size) of the log */
    uint64_t window_at;
    size_t window_size;
    struct buffer record;
    struct world_file *read_file;
    uint64_t read_segment;
    uint64_t limit;
    uint64_t stale_end; /* what looks like records behind the end reaches to here */

    /* Appending. tail moves under the caller's latch. */
    uint8_t *ring;
    _Atomic uint64_t tail;
    _Atomic uint64_t durable;
    _Atomic uint64_t flushes;

    struct latch latch; /* the next four */
    bool flushing;
    struct list_node waiters;
    bool preparing;

    /* The flusher's own (W4). */
    struct open_segment open[OPEN_SEGMENTS];

    /* Segments, by number: first kept, first not yet made. Under files_busy. */
    uint64_t first_segment;
    _Atomic uint64_t next_segment;
    bool files_busy;
    struct list_node files_waiters;

    struct archive *archive; /* NULL: none */
};

void wal__segment_path(const struct wal *wal, uint64_t number, char *path, size_t size);
/* Numbers of the files NAME.wal in a directory; more than that, if `partial`: NAME.wal.partial. */
struct listing {
    uint64_t first, next;
    bool any;
};
enum err wal__list(
    struct task *task, const char *directory, struct listing *listing, struct diag *diag);
void wal__archive_close(struct task *task, struct wal *wal);

#endif /* WAL_WAL_INTERNAL_H */
