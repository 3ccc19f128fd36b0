/*
 * sql/exec/spill.h - rows that do not fit into memory.
 *
 * A spill is a temporary file of one operator, opened when it is first written. In it are runs:
 * sequences of rows, each written from its beginning to its end and read in the same order, any
 * number of them at once and in any interleaving. A run is a list of blocks, compressed (LZ4) and
 * checksummed one by one; blocks that have been read for the last time are used again.
 *
 * A sorter sorts any number of rows in a given amount of memory, on runs if need be. A store keeps
 * rows in the order they came, in memory as long as they fit.
 *
 * Rows are arrays of datums. `struct row_form` says how many and which of them point to memory.
 */
#ifndef SQL_EXEC_SPILL_H
#define SQL_EXEC_SPILL_H

#include "sql/value/value.h"

/* Of a session: where its temporary files are, and how much of them there may be. */
struct spill_space {
    const char *directory; /* NULL: nowhere, so nothing can be spilled */
    uint64_t limit;        /* temp_file_limit in bytes; UINT64_MAX: none. More is 53400 */
    uint64_t used;         /* of the files there are */
    uint64_t used_max;     /* for EXPLAIN: the most there was since somebody set it to `used` */
};

struct row_form {
    const bool *by_reference;
    uint32_t count;
};

/* What every user of a spill is given. */
struct spill_context {
    struct spill_space *space;
    uint64_t work_mem;
    struct diag *diag;
};

/* ---- runs ------------------------------------------------------------------------------------ */

struct spill_block;
struct spill_free;

struct spill {
    const struct spill_context *context;
    struct world_file *file;
    uint32_t block_size; /* of rows, uncompressed */
    uint32_t unit_count; /* the file's size */
    struct spill_free *free;
    uint8_t *packed; /* room for a compressed block */
    size_t packed_capacity;
    void *compressor;
};

struct run {
    struct spill_block *blocks;
    uint32_t block_count, block_capacity;
    struct buffer tail; /* the block that is being filled */
    uint64_t row_count;
    uint64_t byte_count; /* uncompressed */
};

struct run_reader {
    struct run *run;
    uint32_t block;  /* the one that is read; of the run's blocks, or behind them its tail */
    uint32_t loaded; /* which one is in `bytes`, from 1; 0: none */
    size_t at;       /* in it */
    uint8_t *bytes;
    size_t capacity;
    bool last; /* nobody will read this run again: its blocks are free once read */
};

/* block_size is chosen by work_mem; see spill_fan_out. Nothing is opened yet. */
void spill_create(struct spill *spill, const struct spill_context *context);
/* Its runs are gone too, but their memory is theirs to destroy. Sleeps. */
void spill_destroy(struct task *task, struct spill *spill);
/* How many runs can be written, or read, at once in about half of work_mem (at least 6). */
uint32_t spill_fan_out(const struct spill_context *context);
/* Whether there is anywhere to spill to. */
bool spill_possible(const struct spill_context *context);

/* A run begins zeroed. regs NULL: row[0..count); else row is a frame and these are its registers
 * that count. */
enum err run_add(struct task *task, struct spill *spill, struct run *run, const struct datum *row,
    const uint32_t *regs, struct row_form form);
/* Puts the tail into the file and gives its memory back; more may follow. */
enum err run_flush(struct task *task, struct spill *spill, struct run *run);
/* Forgets the rows; their blocks are used again. */
void run_clear(struct spill *spill, struct run *run);
void run_destroy(struct run *run);

/* To the first row. A reader begins zeroed. Several may read one run, also while it grows; `last`
 * only if this is the only one and nothing will be added. */
void run_read(struct run_reader *reader, struct run *run, bool last);
/* The next row into row[0..form.count), whose values point into the reader's memory and stay till
 * the next call. */
enum err run_next(struct task *task, struct spill *spill, struct run_reader *reader,
    struct row_form form, struct datum *row, bool *found);
void run_reader_destroy(struct run_reader *reader);

/* ---- partitions ------------------------------------------------------------------------------
 *
 * For operators that hash. Their rows come in batches: the first one from elsewhere (a child), the
 * others from runs. What of a batch does not fit into memory is partitioned by some bits of the
 * hash; when the batch is done, each partition becomes a batch of its own, which may be partitioned
 * again by other bits. A batch has rows of up to two sides.
 */

struct spill_batch {
    struct run runs[2];
    uint32_t level;
};

struct partitions {
    struct spill spill;
    struct spill_batch batch; /* the current one; in the first one's runs there is nothing */
    bool from_runs;           /* it is not the first */
    struct spill_batch *parts;
    uint32_t fan; /* how many parts; 0: the current batch is not partitioned (yet) */
    struct run_reader readers[2];
    struct spill_batch *pending; /* a stack */
    uint32_t pending_count, pending_capacity;
};

void partitions_create(struct partitions *partitions, const struct spill_context *context);
void partitions_destroy(struct task *task, struct partitions *partitions);
/* Back to the first batch; nothing else is left. */
void partitions_clear(struct task *task, struct partitions *partitions);
/* Whether the current batch can be partitioned: there are levels left, and room in files. */
bool partitions_possible(const struct partitions *partitions);
/* Does it, as for about this many bytes of rows (the first batch; the others' are known). */
void partitions_split(struct partitions *partitions, uint64_t bytes);
uint32_t partitions_part(const struct partitions *partitions, uint64_t hash);
/* regs as in run_add. */
enum err partitions_put(struct task *task, struct partitions *partitions, int side, uint32_t part,
    const struct datum *row, const uint32_t *regs, struct row_form form);
/* The next row of a side of a batch from runs; as run_next. */
enum err partitions_read(struct task *task, struct partitions *partitions, int side,
    struct row_form form, struct datum *row, bool *found);
/* The current batch is done; *more: there is another, and now it is the current one. Those without
 * rows are left out; without `second_alone`, also those that have rows of the second side only. */
enum err partitions_next(
    struct task *task, struct partitions *partitions, bool second_alone, bool *more);

/* ---- sorting --------------------------------------------------------------------------------- */

struct key_code {
    uint32_t slot; /* of a row */
    oid_t type;
    bool descending, nulls_first;
};

struct sort_item {
    uint64_t prefix; /* orders like the first key, as far as it tells */
    struct datum *row;
};

struct sort_merge;

struct sorter {
    const struct spill_context *context;
    struct row_form form;
    const struct key_code *keys;
    uint32_t key_count;
    uint64_t bound;         /* how many rows will be asked for at most; UINT64_MAX: all */
    struct arena memory[2]; /* the rows; two, so that survivors can move */
    int current;
    struct sort_item *items, *other;
    size_t count, capacity, at;
    /* No row that comes after this one (or is equal to it) is wanted. Its row is in `worst_memory`,
     * or, while nothing is spilled, among the items. */
    struct sort_item worst;
    bool has_worst;
    struct arena worst_memory;
    struct spill spill;
    struct run *runs; /* in the order of their rows' arrival */
    uint32_t run_count, run_capacity;
    struct sort_merge *merge;
    uint64_t row_count;
};

/* Stable: equal rows come in the order they were added. keys and form outlive the sorter. */
void sorter_create(struct sorter *sorter, const struct spill_context *context, struct row_form form,
    const struct key_code *keys, uint32_t key_count);
void sorter_destroy(struct task *task, struct sorter *sorter);
/* To be filled again. */
void sorter_clear(struct task *task, struct sorter *sorter, uint64_t bound);
/* regs as in run_add. */
enum err sorter_add(
    struct task *task, struct sorter *sorter, const struct datum *row, const uint32_t *regs);
/* No more will be added. */
enum err sorter_finish(struct task *task, struct sorter *sorter);
/* The next row; NULL at the end. It stays till the next call. */
enum err sorter_next(struct task *task, struct sorter *sorter, const struct datum **row);
/* Bytes of memory held beyond any doubt of work_mem's: what one row needs more. */
size_t sorter_memory(const struct sorter *sorter);

/* ---- keeping --------------------------------------------------------------------------------- */

struct store {
    const struct spill_context *context;
    struct row_form form;
    struct arena memory;
    struct datum **rows; /* while in memory */
    size_t capacity;
    uint64_t count, at; /* rows there are; the number of the next to be read */
    bool spilled;
    struct spill spill;
    struct run run;
    struct run_reader reader;
    struct datum *row; /* the one read from the run */
};

void store_create(struct store *store, const struct spill_context *context, struct row_form form);
void store_destroy(struct task *task, struct store *store);
void store_clear(struct task *task, struct store *store);
/* Behind the last; reading goes on where it was. */
enum err store_add(
    struct task *task, struct store *store, const struct datum *row, const uint32_t *regs);
void store_rewind(struct store *store);
/* NULL at the end (there may be more later). The row stays till the next call of anything here. */
enum err store_next(struct task *task, struct store *store, const struct datum **row);
/* Skips `store_next` to the end. */
void store_skip_all(struct store *store);
size_t store_memory(const struct store *store);

/* Reads rows of a store by number; several may do so at once, each best forwards. Begins zeroed. */
struct store_cursor {
    struct run_reader reader;
    struct datum *row;
    uint64_t next; /* the number of the row that the reader stands before */
    bool placed;
};

/* Row `number` < count; it stays till the cursor's next call or the next change of the store. */
enum err store_get(struct task *task, struct store *store, struct store_cursor *cursor,
    uint64_t number, const struct datum **row);
/* Before the store is cleared, and at the end. */
void store_cursor_clear(struct store_cursor *cursor);

#endif /* SQL_EXEC_SPILL_H */
