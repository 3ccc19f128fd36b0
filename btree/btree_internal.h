/*
 * btree/btree_internal.h - pages, frames, mapping table, trees.
 *
 * A page in memory (16 KiB), all numbers little-endian:
 *
 *     OFFSET SIZE  DESCRIPTION
 *          0    8  page id
 *          8    8  right sibling's page id; 0: none
 *         16    8  tree id
 *         24    2  level: 0 leaf, >0 inner, PAGE_OVERFLOW: overflow
 *         26    2  number of slots
 *         28    2  offset of the lowest cell (cells grow down from the end)
 *         30    2  garbage: bytes of dead cells above it
 *         32    2  offset of the low fence    34  2  its length
 *         36    2  offset of the high fence   38  2  its length; 0xFFFF: none (plus infinity)
 *         40    2  length of the prefix that all keys share (a prefix of the low fence)
 *         42   22  the first bytes of that prefix, so that a search need not go and look for them
 *         64       slots of 8 bytes: cell offset 2, key suffix length 2, key head 4
 *
 *     leaf cell:   writer 8, undo 8, flags 1, value length 2, key suffix, value
 *     inner cell:  child page id 8, key suffix
 *     overflow:    from 64: next page id 8, length 4, bytes
 *
 * The key head is the first 4 bytes of the suffix as a big-endian number, zero-padded: most
 * comparisons end there. Inner page: entry i leads to keys >= its key and < the next one's; the
 * first entry's key is the low fence.
 *
 * Invariants
 *   B1. low fence <= every key < high fence; keys ascend strictly.
 *   B2. A page's right sibling has the page's high fence as its low fence. Leaves are merged, inner
 *       pages never; a right link counts only while the page it was read from still stands.
 *   B3. A page changes only under its frame's exclusive latch; who reads without it believes
 *       nothing before version_latch_check.
 *   B4. A root's page id never changes; when it splits its content moves to two new children.
 *   B5. A frame holds one page from the page's loading or birth to its freeing or leaving. The id
 *       in the header of a frame that holds none is 0.
 *   B6. A page in epoch E with `pending` set has not been changed in structure since the gate.
 *   B10. `dirty` is set under the page's latch and only on a formatted page, so that who finds it
 *       set and gets the latch finds a page. (B7-B9: checkpoint.c)
 *   B11. While a checkpoint runs no page id is given out again and no tree's pages are freed: what
 *       an image was taken of still bears its id when the image finds its place.
 *   B13. A page leaves memory only if it can come back as it is: its image on disk says the same
 *       and every snapshot sees it, or its running form is saved. One that is `placed` stays.
 *   B14. `dirty` and `pending` outlive memory: a page that leaves takes them along as its
 *       run_epoch, and gets them back from it.
 *   B15. Whoever names an image says which: beside its extent stands its checksum. An older image
 *       of the same page at the same place, sound in itself, is what a lost write leaves.
 *   B16. The fence between two leaves moves only with both and their parent latched, in the gate,
 *       while no checkpoint runs: the same key in all three, and each row on its side of it.
 *
 * Latch order: gate (as a split) - page latches, a child before its parent, left before right, at
 * most a page and its newborn siblings at once - frames_latch - latches of space; trees_latch and
 * captures_latch come last and alone. Nothing sleeps under any.
 */
#ifndef BTREE_BTREE_INTERNAL_H
#define BTREE_BTREE_INTERNAL_H

#include <stdatomic.h>

#include "base/latch.h"
#include "base/list.h"
#include "btree/btree.h"

typedef struct {
    uint64_t v;
} page_id_t;

enum {
    PAGE_HEADER_SIZE = 64,
    PAGE_SLOT_SIZE = 8,
    LEAF_CELL_HEAD = 19,
    INNER_CELL_HEAD = 8,
    PAGE_OVERFLOW = 0xFFFF,
    NO_FENCE = 0xFFFF,
    OVERFLOW_DATA_AT = PAGE_HEADER_SIZE + 12,
    OVERFLOW_DATA_MAX = BTREE_PAGE_SIZE - OVERFLOW_DATA_AT,
    OVERFLOW_REFERENCE_SIZE = 12, /* size 4, first page id 8 */
    MAP_CHUNK_ENTRIES = 1024,
    MAP_CHUNKS_MAX = 1 << 20, /* 2^30 pages: 16 TiB */
    TREE_CHUNK_ENTRIES = 1024,
    TREE_CHUNKS_MAX = 1 << 16,
    HEIGHT_MAX = 16,
    BLOCK_SIZE = WORLD_BLOCK_SIZE,
};

struct page_header {
    uint64_t id;
    uint64_t right;
    uint64_t tree;
    uint16_t level;
    uint16_t count;
    uint16_t heap;
    uint16_t garbage;
    uint16_t low_at, low_size;
    uint16_t high_at, high_size;
    uint16_t prefix_size;
    uint8_t prefix[22];
};
_Static_assert(sizeof(struct page_header) == PAGE_HEADER_SIZE, "the table above");

struct page_slot {
    uint16_t at;
    uint16_t key_size;
    uint32_t head;
};
_Static_assert(sizeof(struct page_slot) == PAGE_SLOT_SIZE, "the table above");

struct page {
    struct page_header h;
    union {
        struct page_slot slots[(BTREE_PAGE_SIZE - PAGE_HEADER_SIZE) / PAGE_SLOT_SIZE];
        uint8_t body[BTREE_PAGE_SIZE - PAGE_HEADER_SIZE];
    };
};
_Static_assert(sizeof(struct page) == BTREE_PAGE_SIZE, "a page is a page");

struct frame {
    struct version_latch latch;
    _Atomic bool dirty;   /* since its last image; set under the latch */
    _Atomic bool pending; /* its image for the running checkpoint is due */
    _Atomic bool used;    /* looked at since the clock's hand last came by */
    bool saved;           /* under the latch: its running form on disk is what is in memory */
    bool leaving;         /* under the latch: an eviction is writing its running form */
    uint32_t next_free;
};

/* Of a page; under frames_latch. Its frame stands in map_chunk. */
struct map_entry {
    bool used;          /* the id names a page */
    bool loading;       /* somebody reads it from disk */
    bool placed;        /* its image is rendered but not yet written (B13) */
    uint32_t run_crc;   /* of the running form */
    uint32_t run_epoch; /* not in memory: 0, or changed since its image, in this epoch (B14) */
    uint32_t check;     /* of its image (B15) */
    uint64_t run;       /* its running form: place in the run file, from 1; 0: none */
    uint64_t extent;    /* its image: first block << 16 | blocks; 0: none */
};
_Static_assert(sizeof(struct map_entry) == 32, "a few MiB for a few GiB");

struct map_chunk {
    _Atomic uint32_t frames[MAP_CHUNK_ENTRIES]; /* index + 1; 0: not in memory */
    struct map_entry entries[MAP_CHUNK_ENTRIES];
    uint64_t extent; /* of the chunk itself on disk */
    _Atomic bool dirty;
};

struct tree {
    struct tree *next; /* in the list of dropped ones */
    tree_id_t id;
    page_id_t root;
    _Atomic int64_t leaf_count, row_count;
    _Atomic int64_t erased; /* rows, since its leaves were last gone over (merge.c) */
};

/* A page as it was before its structure changed, for the checkpoint to render. */
struct capture {
    struct capture *next;
    struct page page;
};

/* A page image to be written. */
struct image {
    uint64_t page_id;
    uint32_t size;
    uint32_t check;
    uint8_t bytes[];
};

/* Numbers in a heap array. */
struct numbers {
    uint64_t *at;
    size_t count, capacity;
};

struct load_waiter {
    struct list_node node;
    struct task *task;
    uint64_t page_id;
    bool done;
};

/* Who sleeps until frames are free. */
struct frame_waiter {
    struct list_node node;
    struct task *task;
    bool done;
};

/* Room in a file, a bit per unit. All under its latch. */
struct space {
    struct latch latch;
    uint8_t *used;
    uint64_t count, capacity, hint;
    uint64_t taken;
};

struct btree {
    struct world *world;
    struct btree_owner owner;
    struct world_file *file;
    struct world_file *run_file; /* pages in their running form (evict.c) */
    char *directory;

    struct page *pages; /* frame i's page is pages[i] */
    struct frame *frames;
    uint32_t frame_count;

    struct latch frames_latch; /* the next ones */
    uint32_t frames_used;      /* frames ever handed out */
    uint32_t frame_free;       /* list through next_free; UINT32_MAX: empty */
    uint32_t frames_live;
    uint64_t next_page_id;
    struct numbers free_ids;
    struct numbers free_ids_late; /* freed while a checkpoint runs (B11) */
    struct list_node load_waiters;
    struct list_node frame_waiters;
    bool evicting;             /* one at a time; who set it has the next three */
    uint32_t hand;             /* the clock's */
    struct eviction *eviction; /* its buffers */
    uint32_t *cold;            /* ring: frames that scans loaded, oldest first (evict.c) */
    uint32_t cold_first, cold_count, cold_keep, cold_capacity;
    uint32_t epoch;         /* changes in the gate only: checkpoints so far, from 1 */
    uint64_t run_dirty;     /* entries with a run_epoch */
    uint32_t pending_below; /* changes in the gate only: pages that were evicted dirty in an
                               epoch below this are due (B14); 0: no checkpoint runs */

    _Atomic(struct map_chunk *) *map; /* MAP_CHUNKS_MAX of them */
    _Atomic(_Atomic(struct tree *) *) *trees;
    struct latch trees_latch;
    uint64_t tree_last;
    struct tree *dropped; /* while a checkpoint ran; it frees them at its end (B11) */
    uint32_t drops_running;
    bool drops_wait; /* a checkpoint is about to run or runs */

    /* The gate: splits count themselves in while it is open. */
    _Atomic int gate_closed;
    _Atomic int splits_inside;

    /* The checkpoint. */
    _Atomic bool checkpointing;
    lsn_t checkpoint_snapshot;
    struct latch captures_latch;
    struct capture *captures;

    struct space space;     /* blocks of the data file */
    struct space run_space; /* pages of the run file */
    uint64_t file_blocks;   /* at open */
    struct numbers freed;   /* under space.latch: extents to free when the superblock is durable */
    uint64_t checkpoint_number;
    uint64_t directory_extent, trees_extent;

    _Atomic uint64_t pages_read, pages_written, pages_evicted, pages_spilled, pages_merged,
        pages_filled;
    _Atomic uint64_t checkpoint_done, checkpoint_total;
};

/* ---- page.c: one page, no latches --------------------------------------------------------------
 */

void page__format(struct page *page, uint64_t id, tree_id_t tree, uint16_t level, struct slice low,
    struct slice high, bool has_high);
struct slice page__low(const struct page *page);
struct slice page__high(const struct page *page);
bool page__has_high(const struct page *page);
/* Is the key beyond the page's high fence? */
bool page__goes_right(const struct page *page, struct slice key, bool exclusive);
/* Is it a page of the tree, and the key between its fences? */
bool page__covers(const struct page *page, tree_id_t tree, struct slice key);
/* First slot whose key is >= key; *equal tells. Bears any bytes. */
uint32_t page__find(const struct page *page, struct slice key, bool *equal);
/* The child to follow for a key that page__find placed at `slot` (exclusive: for the largest key
 * below it). 0 on nonsense. */
uint64_t page__child(const struct page *page, uint32_t slot, bool equal, bool exclusive);
size_t page__free_room(const struct page *page); /* between slots and cells */
struct slice page__suffix(const struct page *page, uint32_t slot);
void page__row(
    const struct page *page, uint32_t slot, struct btree_row *row);         /* key: suffix only */
size_t page__full_key(const struct page *page, uint32_t slot, uint8_t *to); /* returns its size */
/* Insert a cell at a slot; room was checked. The key is whole. */
void page__insert_leaf(struct page *page, uint32_t slot, struct slice key,
    const struct row_head *head, struct slice value);
void page__insert_inner(struct page *page, uint32_t slot, struct slice key, uint64_t child);
void page__erase(struct page *page, uint32_t slot);
void page__set_head(struct page *page, uint32_t slot, const struct row_head *head);
void page__set_value(struct page *page, uint32_t slot, struct slice value); /* same size */
/* Rewrite without garbage. `scratch` is another page's memory. */
void page__compact(struct page *page, struct page *scratch);
/* Copy entries [from, to) of source, with their whole keys, to the end of an empty formatted page.
 */
void page__append_range(struct page *page, const struct page *source, uint32_t from, uint32_t to);
/* The shortest key above `left` and not above `right`: as far as they agree, and one byte more. To
 * part leaves; inner pages use the key itself: their separators are fences already. */
struct slice page__separator(struct slice left, struct slice right);
/* NULL if sound, else words. Bears any bytes. */
const char *page__fault(const struct page *page);
/* Copies that may race with a writer: the only such places, with page__find, page__child and
 * page__goes_right. */
void page__copy_racy(struct page *to, const struct page *from);
uint16_t page__level_racy(const struct page *page);
size_t page__used_racy(const struct page *page); /* bytes beside the header, without dead cells */
uint64_t page__id_racy(const struct page *page);
uint64_t page__right_racy(const struct page *page);
uint32_t page__count_racy(const struct page *page);
/* Of `from` only the header, the fences and the slots [first, limit) with their cells, all at their
 * places. */
void page__copy_window_racy(
    struct page *to, const struct page *from, uint32_t first, uint32_t limit);
/* False: nonsense was seen. row->key is left alone. */
bool page__row_racy(
    const struct page *page, uint32_t slot, struct arena *into, struct btree_row *row);

/* ---- store.c: frames, ids, loading -------------------------------------------------------------
 */

static inline struct map_chunk *
store__chunk_of(struct btree *store, uint64_t page_id)
{
    return page_id / MAP_CHUNK_ENTRIES >= MAP_CHUNKS_MAX
               ? NULL
               : atomic_load_explicit(
                     &store->map[page_id / MAP_CHUNK_ENTRIES], memory_order_acquire);
}

static inline struct map_entry *
store__entry(struct btree *store, uint64_t page_id)
{
    struct map_chunk *chunk = store__chunk_of(store, page_id);
    return chunk == NULL ? NULL : &chunk->entries[page_id % MAP_CHUNK_ENTRIES];
}

struct map_chunk *store__chunk(struct btree *store, uint64_t page_id); /* made if missing */
/* The frame of a page in memory, or NULL. Its page may leave at any moment: whoever looks at it
 * notes the version, then sees whether the header bears the id (B5), and believes nothing before
 * the version is checked. */
static inline struct frame *
store__frame(struct btree *store, uint64_t page_id)
{
    struct map_chunk *chunk = store__chunk_of(store, page_id);
    uint32_t index = chunk == NULL
                         ? 0
                         : atomic_load_explicit(
                               &chunk->frames[page_id % MAP_CHUNK_ENTRIES], memory_order_acquire);
    return index == 0 ? NULL : &store->frames[index - 1];
}

/* Under frames_latch. */
static inline void
store__set_frame(struct btree *store, uint64_t page_id, uint32_t index_and_one)
{
    atomic_store_explicit(&store__chunk_of(store, page_id)->frames[page_id % MAP_CHUNK_ENTRIES],
        index_and_one, memory_order_release);
}

static inline struct page *
store__page(struct btree *store, const struct frame *frame)
{
    return &store->pages[frame - store->frames];
}

static inline void
store__touch(struct frame *frame)
{
    if (!atomic_load_explicit(&frame->used, memory_order_relaxed)) {
        atomic_store_explicit(&frame->used, true, memory_order_relaxed);
    }
}

/* A new page id for a frame that was taken; not latched, known to nobody. The caller formats it
 * under its latch and then calls store__page_set_dirty (B10). */
struct frame *store__page_new(struct btree *store, uint32_t index, uint64_t *page_id);
static inline void
store__page_set_dirty(struct frame *frame)
{
    frame->saved = false;
    atomic_store_explicit(&frame->dirty, true, memory_order_relaxed);
}
/* The page's id, frame and (after the next checkpoint) extent are free. */
void store__page_free(struct task *task, struct btree *store, uint64_t page_id);
/* Copy a page, loading it if need be. It may have changed since. */
enum err store__page_copy(
    struct task *task, struct btree *store, uint64_t page_id, struct page *to, struct diag *diag);
/* Under frames_latch: a frame that holds nothing is free. */
/* Free the page in this frame, whose latch the caller holds, and releases. */
void store__page_free_latched(struct btree *store, struct frame *frame);
/* Is there a page of this id? */
bool store__page_exists(struct btree *store, uint64_t page_id);
void store__frame_give(struct btree *store, uint32_t index);
/* Under frames_latch, which it releases: sleep until the page is no longer being read. */
void store__wait_for_loader(struct task *task, struct btree *store, uint64_t page_id);
void store__wake_loaders(struct btree *store, uint64_t page_id); /* under frames_latch */
void store__numbers_add(struct numbers *numbers, uint64_t number);
/* Frees the trees that were dropped while a checkpoint ran, and lets drops go on. */
void store__drops_resume(struct task *task, struct btree *store);
/* Sleeps until no drop runs; those that come later are put off. */
void store__drops_stop(struct task *task, struct btree *store);
/* Read a page that is not in memory; several may ask at once. It may be gone again on return.
 * `cold`: it will be looked at once and hardly again. */
enum err store__load(
    struct task *task, struct btree *store, uint64_t page_id, bool cold, struct diag *diag);
struct tree *store__tree(struct btree *store, tree_id_t id);
enum err store__tree_add(struct btree *store, tree_id_t id, uint64_t root, int64_t leaf_count,
    int64_t row_count, struct diag *diag);

/* The gate: who changes structure stands inside. Short, no sleep; waits while the checkpoint marks
 * its pages. */
void store__gate_enter(struct btree *store);
void store__gate_leave(struct btree *store);

/* ---- find.c -------------------------------------------------------------------------------------
 */

/* The page of `level` for a key, optimistically: frame and the version under which it was right;
 * with it where page__find places the key, as good as the version. exclusive: for the largest key
 * below `key`. key.data == NULL with exclusive: the last page. */
struct position {
    struct frame *frame;
    uint64_t version;
    uint64_t page_id;
    uint32_t slot;
    bool equal;
};
enum err find__page(struct task *task, struct btree *store, const struct tree *tree, uint16_t level,
    struct slice key, bool exclusive, struct position *position, struct diag *diag);
/* The same, latched exclusively. */
enum err find__latched(struct task *task, struct btree *store, const struct tree *tree,
    uint16_t level, struct slice key, struct position *position, struct diag *diag);

/* ---- merge.c
 * -------------------------------------------------------------------------------------- */

/* The leaf of `key` has become sparse: merge it with a neighbour, if that is easy. */
void merge__leaf(struct task *task, struct btree *store, struct tree *tree, struct slice key);
/* Before a checkpoint, while no tree is dropped: trees that lost many rows are packed. */
void merge__catch_up(struct task *task, struct btree *store);

/* ---- split.c
 * -------------------------------------------------------------------------------------- */

/* Split the page that holds `key` at `level` if it still lacks `room` bytes. */
enum err split__make_room(struct task *task, struct btree *store, struct tree *tree, uint16_t level,
    struct slice key, size_t room, struct diag *diag);

/* ---- checkpoint.c
 * ----------------------------------------------------------------------------------- */

/* Called under the page's exclusive latch before its structure changes. */
void checkpoint__capture(struct btree *store, struct frame *frame);

/* ---- space.c
 * ---------------------------------------------------------------------------------------- */

uint64_t space__allocate(struct space *space, uint32_t units); /* returns the first */
/* A run of `least` to `most` free ones, all below `below`; UINT64_MAX: there is none. */
uint64_t space__allocate_fit(
    struct space *space, uint32_t least, uint32_t most, uint64_t below, uint32_t *got);
uint64_t space__allocate_end(struct space *space, uint32_t units); /* behind all that is used */
/* Forget the free ones at the end; returns how many units are left. */
uint64_t space__trim(struct space *space);
/* As many as there are in a row, at most `units`. */
uint64_t space__allocate_some(struct space *space, uint32_t units, uint32_t *got);
/* At open: false if the extent is empty, beyond `block_limit`, or overlaps another. */
bool space__claim(struct btree *store, uint64_t extent, uint64_t block_limit);
void space__free(struct btree *store, uint64_t extent);
void space__free_unit(struct space *space, uint64_t unit);
void space__free_later(struct btree *store, uint64_t extent);

static inline uint64_t
extent_of(uint64_t block, uint32_t blocks)
{
    return block << 16 | blocks;
}

/* ---- evict.c: memory that is full, the run file
 * ------------------------------------------------------------------------- */

void evict__create(struct btree *store);
void evict__destroy(struct task *task, struct btree *store);
/* At open: what a run before left is nobody's. */
enum err evict__discard(struct task *task, struct btree *store, struct diag *diag);
/* Take `count` frames at once, making others leave if need be. ERR_LIMIT if that does not help for
 * long; errors of writing. */
enum err evict__take_frames(
    struct task *task, struct btree *store, uint32_t count, uint32_t *frames, struct diag *diag);
/* Under frames_latch: a scan has loaded a page into this frame. */
void evict__note_cold(struct btree *store, uint32_t index);
/* Read a running form; the entry says `loading`. */
enum err evict__read(struct task *task, struct btree *store, uint64_t page_id, uint64_t run,
    uint32_t crc, struct page *to, struct diag *diag);
/* Under frames_latch. */
static inline void
store__set_run_epoch(struct btree *store, struct map_entry *entry, uint32_t epoch)
{
    store->run_dirty = store->run_dirty + (epoch != 0) - (entry->run_epoch != 0);
    entry->run_epoch = epoch;
}
/* Under frames_latch: the running form is no longer needed. */
void evict__forget(struct btree *store, struct map_entry *entry);

/* ---- image.c: pages on disk
 * ------------------------------------------------------------------------- */

/* The page as `snapshot` sees it, compressed and framed (see image.c). *newer: something in it is
 * newer than the snapshot. */
enum err image__render(struct task *task, struct btree *store, const struct page *page,
    lsn_t snapshot, struct image **image, bool *newer, struct diag *diag);
/* Back to pages. Bears any bytes. The image of a page may hold more than a page does: versions that
 * the snapshot saw and that shorter ones had replaced. So it is taken apart in two steps: decode
 * gives a heap buffer of `*raw_size` bytes (NULL and *fault on nonsense); fill formats `page` with
 * as many rows from *at as fit (start with *at = 0), and says whether that was all: if not, fill
 * the next page (its id is `right_id` of this call) from there. `right_id` 0: there is no next
 * page; what does not fit is a fault. image__fits tells beforehand. */
bool image__fits(const uint8_t *raw, size_t raw_size, size_t at);
/* What tells this image from any other (B15), of one that image__decode took. */
uint32_t image__check(const uint8_t *bytes);
uint8_t *image__decode(
    const uint8_t *bytes, size_t size, uint64_t page_id, size_t *raw_size, const char **fault);
const char *image__fill(const uint8_t *raw, size_t raw_size, size_t *at, struct page *page,
    uint64_t id, uint64_t right_id, bool *all);

void btree__check_page(const struct page *page); /* asserts; ASSERT_SLOW builds */

#endif /* BTREE_BTREE_INTERNAL_H */
