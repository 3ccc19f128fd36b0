/*
 * wal/wal.h - bytes durable in order.
 *
 * The log is one endless sequence of bytes; an LSN is a position in it. It is kept in segment files
 * named by their number, and holds records: a header (format in wal.c), a payload that is nobody's
 * business here, padding to 8 bytes. Records cross segments freely.
 *
 * Life: wal_open at the LSN where reading shall begin - wal_next until the end - wal_start -
 * appends.
 */
#ifndef WAL_WAL_H
#define WAL_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/ids.h"
#include "world/world.h"

struct wal;

enum {
    WAL_RECORD_SIZE_MAX = 4 * 1024 * 1024, /* larger ones are the caller's to split */
    WAL_BUFFER_SIZE = 16 * 1024 * 1024,
};
/* Where a new log begins: 0 stays free to mean "before everything". */
#define WAL_FIRST_LSN ((uint64_t)4096)

struct wal_options {
    const char *directory; /* holds the segments; created if missing */
    uint64_t segment_size; /* 0: 64 MiB; a multiple of 1 MiB */
    lsn_t from;            /* where to read; 0: WAL_FIRST_LSN */
};

struct wal_record {
    lsn_t start, end; /* end is what wal_append returned: the commit's number */
    uint16_t type;
    uint16_t version;
    struct slice payload; /* until the next call */
};

enum err wal_open(
    struct task *task, const struct wal_options *options, struct wal **wal, struct diag *diag);
void wal_close(struct task *task, struct wal *wal);

/* The next record. *end: the log ends here (cleanly, or in a torn record that was never
 * acknowledged). A record that had been acknowledged and is bad now: ERR_CORRUPT with file and
 * offset; never skipped. */
enum err wal_next(
    struct task *task, struct wal *wal, struct wal_record *record, bool *end, struct diag *diag);
/* One record again, at a start LSN that wal_next gave. */
enum err wal_read_at(
    struct task *task, struct wal *wal, lsn_t start, struct wal_record *record, struct diag *diag);
/* How far reading has come and how far the segment files reach, for progress. */
void wal_progress(const struct wal *wal, lsn_t *at, lsn_t *limit);

/* Reading is over: begin to append behind the last record. */
enum err wal_start(struct task *task, struct wal *wal, struct diag *diag);

/* Sleep until a record with `payload_size` bytes would fit in the buffer and in files that are
 * there already: a disk that is full is an error here, where the caller can still turn back. */
enum err wal_make_room(struct task *task, struct wal *wal, size_t payload_size, struct diag *diag);
/* Append a record of several pieces. Does not sleep; the caller serialises appends (its commit
 * latch). False if there is no room: wal_make_room, and try again. */
bool wal_append(struct wal *wal, uint16_t type, uint16_t version, const struct slice *pieces,
    size_t piece_count, lsn_t *start, lsn_t *end);

/* Sleep, deaf to interrupts, until everything below lsn is durable. The first to come writes for
 * all (group commit). */
void wal_wait_durable(struct task *task, struct wal *wal, lsn_t lsn);
lsn_t wal_durable(const struct wal *wal);
lsn_t wal_end(const struct wal *wal); /* end of the last record appended */
uint64_t wal_flush_count(const struct wal *wal);

/* ERR_UNDEFINED_FILE if a file that holds the log from `lsn` on has lost its name while we run. */
enum err wal_check_files(struct task *task, struct wal *wal, lsn_t lsn, struct diag *diag);

/* No one will read below lsn again: whole segments below it are reused or removed. */
void wal_free_before(struct task *task, struct wal *wal, lsn_t lsn);

/* While reading: the log ends at `at`, which wal_next gave as a record's start. What lies behind is
 * destroyed: another history begins here. Then wal_start. */
enum err wal_cut(struct task *task, struct wal *wal, lsn_t at, struct diag *diag);
/* Size of a segment file, and the name of the one that holds `at` (20 bytes and zero). */
uint64_t wal_segment_size(const struct wal *wal);
void wal_segment_name(uint64_t number, char name[32]);

/* ---- archiving (archive.c)
 * -----------------------------------------------------------------------
 *
 * A copy of the log in another directory, a little behind what is durable: NUMBER.wal for segments
 * that are full, NUMBER.wal.partial for the one that grows. Segments that are not copied yet are
 * not given up by wal_free_before.
 */

/* After wal_start. Looks at what is there: another history's is an error. */
enum err wal_archive_open(
    struct task *task, struct wal *wal, const char *directory, struct diag *diag);
/* Copies what has become durable. One at a time. */
enum err wal_archive_step(struct task *task, struct wal *wal, struct diag *diag);
lsn_t wal_archived(const struct wal *wal);
/* Copies files of an archive that a restored log needs: those that hold [from, ...) into the
 * directory of a log, where the archive knows more than is there. */
enum err wal_archive_fetch(struct task *task, const char *archive, const char *directory,
    uint64_t segment_size, lsn_t from, lsn_t known, struct diag *diag);

#endif /* WAL_WAL_H */
