/*
 * txn/ssi.c - serializable snapshot isolation: ranges read, conflicts, dangerous structures. ssi.h
 * has the theory and the invariants.
 */
#include "txn/ssi.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "txn/txn_internal.h"

enum {
    FILTERED_MAX = 16,     /* ranges with a filter */
    TREES_BUCKETS = 16,    /* of a partition */
    KEYS_MEMORY = 1 << 20, /* of one transaction, before what merging has left is thrown away */
    SPARE_READS = 8,       /* of a transaction, for the next one */
    SPARE_RANGES = 64,     /* of one of these */
    SPARE_SXACTS = 64,     /* besides those that sessions keep */
};

/* [low, high) */
struct range {
    uint8_t *low, *high; /* high NULL: to the end */
    uint32_t low_size, high_size;
    struct txn_filter *filter; /* counted, or NULL */
};

struct ssi_tree {
    struct ssi_tree *next; /* in the bucket */
    tree_id_t id;
    struct list_node reads; /* struct ssi_reads */
};

/* What one transaction has read in one tree. */
struct ssi_reads {
    struct list_node node;  /* in ssi_tree->reads; under the partition's latch */
    struct ssi_reads *next; /* of the transaction */
    struct sxact *owner;
    struct ssi_tree *tree;
    struct list_node scans; /* the rest under owner->latch */
    struct range *ranges;   /* ascending, apart from each other */
    uint32_t count, capacity;
    uint32_t ranges_max;    /* then neighbours merge */
    struct range *filtered; /* FILTERED_MAX, from the first on */
    uint32_t filtered_count;
};

struct edge {
    struct list_node out; /* in reader->out */
    struct list_node in;  /* in writer->in */
    struct sxact *reader, *writer;
    tree_id_t tree;
    bool hostage;      /* SS6: the first of a dangerous structure that stands */
    uint64_t row_hash; /* of tree and key */
    uint8_t key_size;
    uint8_t key[SSI_KEY_MAX];
    char statement[SSI_STATEMENT_MAX]; /* of whoever found it */
};

struct structure;

struct sxact {
    struct list_node node; /* in ssi->active or ssi->committed (by end) */
    struct sxact *chain;   /* by id; or of spare ones */
    uint64_t id;           /* 0: has written nothing */
    uint64_t snapshot;     /* LSN */
    uint64_t end;          /* LSN: its commit, or what was visible when it ended without writing */
    uint64_t order;        /* of commits, from the check at commit on; 0: none yet */
    /* The earliest committed transaction it has an edge to, among those already forgotten. */
    uint64_t out_order, out_lsn;
    struct list_node out, in;
    bool read_only;      /* declared, or found at the end */
    _Atomic bool doomed; /* read by its owner without the latch; `why` comes before */
    bool committed;
    bool forgotten;             /* out of the graph, soon freed */
    bool summary_in;            /* someone unknown, committed, has an edge to it */
    bool met_ahead;             /* SS8: knows of something that is not in its snapshot */
    bool undecided;             /* has hostage edges, but may go on without waiting; its owner's */
    uint64_t undecided_row;     /* row_hash of what it has read last then */
    _Atomic uint64_t waits_for; /* the id of whose end it waits for, or 0 */
    _Atomic uint64_t waits_row; /* row_hash of the row that it waits to write, or 0 */
    bool busy;                  /* its ranges are being summarised: it stays */
    struct latch latch;         /* its ranges */
    struct ssi_reads *reads;
    struct ssi_reads *spare; /* empty, to be used again */
    uint32_t spare_count;
    struct arena memory;   /* bytes of keys; under latch */
    size_t memory_limit;   /* then it is compacted */
    struct structure *why; /* it is doomed; or NULL */
    /* A read-only one's snapshot is safe when all that wrote beside it have committed and none had
     * an edge to one in the snapshot (Ports and Grittner, 4.2). */
    struct list_node watches; /* struct watch: as the watched */
    struct list_node watched; /* struct watch: as the read-only one */
    bool safe, unsafe;
    struct task *sleeper; /* waits for a safe snapshot */
    uint32_t pid;
    char statement[SSI_STATEMENT_MAX]; /* its owner's */
};

struct watch {
    struct list_node watches; /* in writer->watches */
    struct list_node watched; /* in reader->watched */
    struct sxact *writer, *reader;
};

struct ssi_partition {
    _Alignas(64) struct latch latch;
    struct ssi_tree *buckets[TREES_BUCKETS];
};

struct ssi {
    uint32_t ranges_max, committed_max, stubs_max; /* constant; as in txn_db_options */
    struct ssi_partition partitions[SSI_TREE_PARTITIONS];
    _Alignas(64) _Atomic uint64_t readers; /* sxacts that may have ranges */
    _Alignas(64) struct latch graph;       /* the rest */
    struct list_node active;               /* by snapshot */
    struct list_node committed;            /* by end, behind all stubs */
    struct list_node stubs;                /* by end; their ranges are the summary's */
    uint32_t committed_count, stub_count;
    struct sxact *ids[SSI_ID_BUCKETS];
    struct sxact *spare;
    _Atomic uint32_t spare_count;
    uint64_t next_order;
    uint64_t edge_count;
    /* SS5: what committed transactions have read that are too many to remember it apart. Whoever
     * began before summary_end and writes there has an edge from somebody unknown. */
    struct sxact *summary;
    uint64_t summary_end;
    bool summarising; /* by one at a time */
    /* Too many even so: whoever began before blind_end and meets the version of one that is not
     * remembered cannot tell what that one had read. */
    uint64_t blind_end;
    txn_namer *namer;
    void *namer_arg;
};

struct ssi *
ssi__create(const struct txn_db_options *options)
{
    struct ssi *ssi = mem_alloc_aligned(64, sizeof *ssi);
    memset(ssi, 0, sizeof *ssi);
    list_init(&ssi->active);
    list_init(&ssi->committed);
    list_init(&ssi->stubs);
    ssi->next_order = 1;
    ssi->ranges_max = options->ssi_ranges_max == 0 ? 2048 : options->ssi_ranges_max;
    ssi->committed_max = options->ssi_committed_max == 0 ? 4096 : options->ssi_committed_max;
    ssi->stubs_max = options->ssi_stubs_max == 0 ? 1 << 18 : options->ssi_stubs_max;
    ssi->summary = mem_zalloc(sizeof *ssi->summary);
    arena_create(&ssi->summary->memory, "summary of read ranges");
    return ssi;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static bool
below_high(const struct range *range, struct slice key)
{
    return range->high == NULL || slice_compare(key, slice_of(range->high, range->high_size)) < 0;
}

static bool
holds(const struct range *range, struct slice key)
{
    return slice_compare(slice_of(range->low, range->low_size), key) <= 0 && below_high(range, key);
}

/* The first range that ends behind `key`. */
static uint32_t
first_behind(const struct ssi_reads *reads, struct slice key)
{
    uint32_t low = 0;
    uint32_t high = reads->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (below_high(&reads->ranges[middle], key)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static uint8_t *
keep(struct sxact *sx, struct slice key, bool successor)
{
    uint8_t *bytes = arena_alloc_raw(&sx->memory, key.size + successor);
    if (key.size > 0) {
        memcpy(bytes, key.data, key.size);
    }
    if (successor) {
        bytes[key.size] = 0; /* the least key above it */
    }
    return bytes;
}

/* Each range takes in the gap behind it, every second one (SS5). */
static void
merge_neighbours(struct ssi_reads *reads)
{
    uint32_t to = 0;
    for (uint32_t i = 0; i < reads->count; i += 2) {
        struct range range = reads->ranges[i];
        if (i + 1 < reads->count) {
            range.high = reads->ranges[i + 1].high;
            range.high_size = reads->ranges[i + 1].high_size;
        }
        reads->ranges[to++] = range;
    }
    reads->count = to;
}

static uint8_t *
move_key(struct arena *to, const uint8_t *key, uint32_t size)
{
    uint8_t *bytes = arena_alloc_raw(to, size + 1U);
    if (size > 0) {
        memcpy(bytes, key, size);
    }
    return bytes;
}

static void
move_keys(struct arena *to, struct range *ranges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ranges[i].low = move_key(to, ranges[i].low, ranges[i].low_size);
        if (ranges[i].high != NULL) {
            ranges[i].high = move_key(to, ranges[i].high, ranges[i].high_size);
        }
    }
}

/* Ranges that merged have left keys behind. Under the owner's latch. */
static void
compact_if_large(struct sxact *sx)
{
    if (arena_used(&sx->memory) < sx->memory_limit || arena_used(&sx->memory) < KEYS_MEMORY) {
        return;
    }
    struct arena fresh;
    arena_create(&fresh, "read ranges");
    for (struct ssi_reads *reads = sx->reads; reads != NULL; reads = reads->next) {
        move_keys(&fresh, reads->ranges, reads->count);
        move_keys(&fresh, reads->filtered, reads->filtered_count);
    }
    arena_destroy(&sx->memory);
    sx->memory = fresh;
    sx->memory_limit = arena_used(&fresh) * 2;
}

/* Under the owner's latch. high.data NULL: to the end; `successors`: high means the key behind it.
 */
static void
add_range(struct ssi_reads *reads, struct slice low, struct slice high, bool successor)
{
    uint32_t at = first_behind(reads, low);
    if (at < reads->count && high.data != NULL && holds(&reads->ranges[at], low) &&
        below_high(&reads->ranges[at], high)) {
        if (successor || reads->ranges[at].high == NULL) {
            return; /* all of it is there: [low, high] lies inside */
        }
    }
    /* The range before may end exactly where this one begins. */
    if (at > 0) {
        const struct range *before = &reads->ranges[at - 1];
        if (slice_compare(slice_of(before->high, before->high_size), low) == 0) {
            at--;
        }
    }
    struct range range = {0};
    if (high.data != NULL) {
        range.high = keep(reads->owner, high, successor);
        range.high_size = (uint32_t)(high.size + successor);
    }
    uint32_t end = at;
    struct range *first = &reads->ranges[at];
    bool joins =
        at < reads->count && slice_compare(slice_of(first->low, first->low_size), low) <= 0;
    if (joins) {
        range.low = first->low;
        range.low_size = first->low_size;
    } else {
        range.low = keep(reads->owner, low, false);
        range.low_size = (uint32_t)low.size;
    }
    while (end < reads->count) {
        const struct range *next = &reads->ranges[end];
        bool touches = range.high == NULL || slice_compare(slice_of(next->low, next->low_size),
                                                 slice_of(range.high, range.high_size)) <= 0;
        if (!touches) {
            break;
        }
        if (range.high != NULL &&
            (next->high == NULL || slice_compare(slice_of(range.high, range.high_size),
                                       slice_of(next->high, next->high_size)) < 0)) {
            range.high = next->high;
            range.high_size = next->high_size;
        }
        end++;
    }
    if (end == at) {
        if (reads->count == reads->capacity) {
            reads->capacity = reads->capacity == 0 ? 8 : reads->capacity * 2;
            reads->ranges = mem_realloc(reads->ranges, reads->capacity * sizeof *reads->ranges);
        }
        memmove(&reads->ranges[at + 1], &reads->ranges[at],
            (reads->count - at) * sizeof *reads->ranges);
        reads->count++;
    } else {
        memmove(&reads->ranges[at + 1], &reads->ranges[end],
            (reads->count - end) * sizeof *reads->ranges);
        reads->count -= end - at - 1;
    }
    reads->ranges[at] = range;
    if (reads->count > reads->ranges_max) {
        merge_neighbours(reads);
    }
    compact_if_large(reads->owner);
}

/* A row before and after a write; NULL data: there was none. */
struct images {
    struct slice old, new;
    bool known; /* else every filter lets it pass */
};

static bool
passes(const struct txn_filter *filter, const struct images *images)
{
    struct slice old = images->old;
    struct slice new = images->new;
    return filter == NULL || !images->known || (old.data != NULL && filter->passes(filter, old)) ||
           (new.data != NULL && filter->passes(filter, new));
}

enum was_read {
    READ_NOT,
    READ_HERE,     /* by a filter that the row passes now, or perhaps */
    READ_ANYTHING, /* whatever stands here */
};

/* Did the owner read what is written here? Under its latch. */
static enum was_read
has_read(const struct ssi_reads *reads, struct slice key, const struct images *images)
{
    uint32_t at = first_behind(reads, key);
    if (at < reads->count && holds(&reads->ranges[at], key)) {
        return READ_ANYTHING;
    }
    enum was_read read = READ_NOT;
    for (uint32_t i = 0; i < reads->filtered_count; i++) {
        const struct range *range = &reads->filtered[i];
        if (holds(range, key) && passes(range->filter, images)) {
            read = READ_HERE;
        }
    }
    LIST_FOREACH (node, &reads->scans) {
        const struct ssi_scan *scan = LIST_ENTRY(node, struct ssi_scan, node);
        if (slice_compare(scan->low, key) <= 0 &&
            (!scan->has_high || slice_compare(key, scan->high) < 0) &&
            passes(scan->filter, images)) {
            if (scan->filter == NULL) {
                return READ_ANYTHING;
            }
            read = READ_HERE;
        }
    }
    return read;
}

/* ---- trees ----------------------------------------------------------------------------------- */

static struct ssi_partition *
partition_of(struct ssi *ssi, tree_id_t tree, struct ssi_tree ***bucket)
{
    uint64_t hash = hash_u64(tree.v);
    struct ssi_partition *partition = &ssi->partitions[hash % SSI_TREE_PARTITIONS];
    *bucket = &partition->buckets[hash / SSI_TREE_PARTITIONS % TREES_BUCKETS];
    return partition;
}

static struct ssi_tree *
find_tree(struct ssi_tree *const *bucket, tree_id_t id)
{
    struct ssi_tree *tree = *bucket;
    while (tree != NULL && tree->id.v != id.v) {
        tree = tree->next;
    }
    return tree;
}

/* The transaction's reads in this tree, entered where writers will look. */
static struct ssi_reads *
reads_of(struct ssi *ssi, struct sxact *sx, tree_id_t id)
{
    for (struct ssi_reads *reads = sx->reads; reads != NULL; reads = reads->next) {
        if (reads->tree->id.v == id.v) {
            return reads;
        }
    }
    struct ssi_reads *reads = sx->spare;
    if (reads != NULL) {
        sx->spare = reads->next;
        sx->spare_count--;
    } else {
        reads = mem_zalloc(sizeof *reads);
        list_init(&reads->scans);
    }
    reads->owner = sx;
    reads->ranges_max = ssi->ranges_max;
    struct ssi_tree **bucket;
    struct ssi_partition *partition = partition_of(ssi, id, &bucket);
    latch_acquire(&partition->latch);
    struct ssi_tree *tree = find_tree(bucket, id);
    if (tree == NULL) {
        tree = mem_zalloc(sizeof *tree);
        tree->id = id;
        list_init(&tree->reads);
        tree->next = *bucket;
        *bucket = tree;
    }
    reads->tree = tree;
    list_push_back(&tree->reads, &reads->node);
    latch_release(&partition->latch);
    latch_acquire(&sx->latch); /* the summary's may be compacted by now */
    reads->next = sx->reads;
    sx->reads = reads;
    latch_release(&sx->latch);
    return reads;
}

/* Nobody finds them any more: kept for the next transaction, if they are small. */
static void
reads_free(struct sxact *sx, struct ssi_reads *reads)
{
    ASSERT(list_empty(&reads->scans));
    for (uint32_t i = 0; i < reads->filtered_count; i++) {
        txn_filter_release(reads->filtered[i].filter);
    }
    if (sx->spare_count < SPARE_READS && reads->capacity <= SPARE_RANGES) {
        reads->count = 0;
        reads->filtered_count = 0;
        reads->next = sx->spare;
        sx->spare = reads;
        sx->spare_count++;
        return;
    }
    mem_free(reads->filtered);
    mem_free(reads->ranges);
    mem_free(reads);
}

/* Nobody finds them afterwards. */
static void
free_reads(struct ssi *ssi, struct sxact *sx)
{
    while (sx->reads != NULL) {
        struct ssi_reads *reads = sx->reads;
        sx->reads = reads->next;
        struct ssi_tree **bucket;
        struct ssi_tree *tree = reads->tree;
        struct ssi_partition *partition = partition_of(ssi, tree->id, &bucket);
        latch_acquire(&partition->latch);
        list_remove(&reads->node);
        if (list_empty(&tree->reads) && (*bucket)->next != NULL) { /* one may stay */
            struct ssi_tree **link = bucket;
            while (*link != tree) {
                link = &(*link)->next;
            }
            *link = tree->next;
            mem_free(tree);
        }
        latch_release(&partition->latch);
        reads_free(sx, reads);
    }
}

/* ---- the graph ------------------------------------------------------------------------------- */

static void
remove_edge(struct ssi *ssi, struct edge *edge)
{
    list_remove(&edge->out);
    list_remove(&edge->in);
    ssi->edge_count--;
    mem_free(edge);
}

/* Edges go; what readers must remember of a committed writer stays with them. */
static void
disconnect(struct ssi *ssi, struct sxact *sx)
{
    while (!list_empty(&sx->out)) {
        remove_edge(ssi, LIST_ENTRY(sx->out.next, struct edge, out));
    }
    while (!list_empty(&sx->in)) {
        struct edge *edge = LIST_ENTRY(sx->in.next, struct edge, in);
        struct sxact *reader = edge->reader;
        if (sx->committed && (reader->out_order == 0 || sx->order < reader->out_order)) {
            reader->out_order = sx->order;
            reader->out_lsn = sx->end;
        }
        remove_edge(ssi, edge);
    }
}

static void
remove_watch(struct watch *watch)
{
    list_remove(&watch->watches);
    list_remove(&watch->watched);
    mem_free(watch);
}

/* Who has an edge to a transaction that committed within the snapshot makes it unsafe. */
static bool
makes_unsafe(const struct sxact *writer, uint64_t snapshot)
{
    if (!writer->committed) {
        return false;
    }
    if (writer->out_order != 0 && writer->out_lsn <= snapshot) {
        return true;
    }
    LIST_FOREACH (node, &writer->out) {
        const struct sxact *t3 = LIST_ENTRY(node, struct edge, out)->writer;
        if (t3->committed && t3->end <= snapshot) {
            return true;
        }
    }
    return false;
}

/* It has ended: its watchers know more. */
static void
settle_watches(struct sxact *sx)
{
    while (!list_empty(&sx->watches)) {
        struct watch *watch = LIST_ENTRY(sx->watches.next, struct watch, watches);
        struct sxact *reader = watch->reader;
        reader->unsafe |= makes_unsafe(sx, reader->snapshot);
        remove_watch(watch);
        reader->safe = list_empty(&reader->watched) && !reader->unsafe;
        if (reader->sleeper != NULL && (reader->safe || reader->unsafe)) {
            task_unpark(reader->sleeper);
        }
    }
}

static void
forget_id(struct ssi *ssi, struct sxact *sx)
{
    if (sx->id == 0) {
        return;
    }
    struct sxact **link = &ssi->ids[hash_u64(sx->id) % SSI_ID_BUCKETS];
    while (*link != sx) {
        link = &(*link)->chain;
    }
    *link = sx->chain;
}

/* Takes it out of the graph; the caller frees what is left with sxact_free, without the latch. */
static void
forget(struct ssi *ssi, struct sxact *sx)
{
    settle_watches(sx);
    while (!list_empty(&sx->watched)) {
        remove_watch(LIST_ENTRY(sx->watched.next, struct watch, watched));
    }
    disconnect(ssi, sx);
    forget_id(ssi, sx);
    list_remove(&sx->node);
    sx->forgotten = true; /* a writer may still find its ranges */
}

static void
free_spare_reads(struct sxact *sx)
{
    while (sx->spare != NULL) {
        struct ssi_reads *reads = sx->spare;
        sx->spare = reads->next;
        mem_free(reads->filtered);
        mem_free(reads->ranges);
        mem_free(reads);
    }
}

static void
sxact_delete(struct sxact *sx)
{
    free_spare_reads(sx);
    arena_destroy(&sx->memory);
    mem_free(sx);
}

static void
sxact_free(struct ssi *ssi, struct sxact *sx)
{
    free_reads(ssi, sx);
    atomic_fetch_sub(&ssi->readers, 1);
    mem_free(sx->why);
    sxact_delete(sx);
}

/* The same, but it may be used again: by the session's next transaction. */
static void
sxact_retire(struct txn *txn, struct sxact *sx)
{
    struct ssi *ssi = txn->db->ssi;
    if (txn->spare_sx != NULL &&
        atomic_load_explicit(&ssi->spare_count, memory_order_relaxed) >= SPARE_SXACTS) {
        sxact_free(ssi, sx);
        return;
    }
    free_reads(ssi, sx);
    atomic_fetch_sub(&ssi->readers, 1);
    mem_free(sx->why);
    arena_reset(&sx->memory);
    struct sxact kept = {.memory = sx->memory,
        .spare = sx->spare,
        .spare_count = sx->spare_count,
        .chain = txn->spare_sx};
    *sx = kept;
    txn->spare_sx = sx;
}

static struct sxact *
sxact_new(struct txn *txn)
{
    struct ssi *ssi = txn->db->ssi;
    struct sxact *sx = txn->spare_sx;
    if (sx != NULL) {
        txn->spare_sx = sx->chain;
        sx->chain = NULL;
        return sx;
    }
    if (atomic_load_explicit(&ssi->spare_count, memory_order_relaxed) > 0) {
        latch_acquire(&ssi->graph);
        sx = ssi->spare;
        if (sx != NULL) {
            ssi->spare = sx->chain;
            sx->chain = NULL;
            atomic_fetch_sub_explicit(&ssi->spare_count, 1, memory_order_relaxed);
        }
        latch_release(&ssi->graph);
    }
    if (sx == NULL) {
        sx = mem_zalloc(sizeof *sx);
        arena_create(&sx->memory, "read ranges");
    }
    return sx;
}

/* The session's, but for one, are for others. Under the graph latch. */
static void
share_spare(struct txn *txn)
{
    struct ssi *ssi = txn->db->ssi;
    while (txn->spare_sx != NULL && txn->spare_sx->chain != NULL) {
        struct sxact *sx = txn->spare_sx;
        txn->spare_sx = sx->chain;
        sx->chain = ssi->spare;
        ssi->spare = sx;
        atomic_fetch_add_explicit(&ssi->spare_count, 1, memory_order_relaxed);
    }
}

static void
free_spare(struct sxact **chain)
{
    while (*chain != NULL) {
        struct sxact *sx = *chain;
        *chain = sx->chain;
        sxact_delete(sx);
    }
}

void
ssi__trim(struct txn *txn)
{
    free_spare(&txn->spare_sx);
}

void
ssi__destroy(struct ssi *ssi)
{
    ASSERT(list_empty(&ssi->active));
    struct list_node *lists[] = {&ssi->stubs, &ssi->committed};
    for (int i = 0; i < 2; i++) {
        while (!list_empty(lists[i])) {
            struct sxact *sx = LIST_ENTRY(lists[i]->next, struct sxact, node);
            forget(ssi, sx);
            sxact_free(ssi, sx);
        }
    }
    free_reads(ssi, ssi->summary);
    sxact_delete(ssi->summary);
    free_spare(&ssi->spare);
    for (int i = 0; i < SSI_TREE_PARTITIONS; i++) {
        for (int b = 0; b < TREES_BUCKETS; b++) {
            mem_free(ssi->partitions[i].buckets[b]);
        }
    }
    mem_free(ssi);
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Copied under the graph latch, spelt out without it. */
struct structure {
    uint32_t pid[3];
    bool known[2];
    bool committed[3];
    tree_id_t tree[2];
    uint8_t key_size[2];
    uint8_t key[2][SSI_KEY_MAX];
    char statement[2][SSI_STATEMENT_MAX];
};

static void
note_edge(struct structure *to, int i, const struct edge *edge)
{
    to->pid[i] = edge->reader->pid;
    to->pid[i + 1] = edge->writer->pid;
    to->committed[i] = edge->reader->committed;
    to->committed[i + 1] = edge->writer->committed;
    to->known[i] = true;
    to->tree[i] = edge->tree;
    to->key_size[i] = edge->key_size;
    memcpy(to->key[i], edge->key, edge->key_size);
    memcpy(to->statement[i], edge->statement, sizeof edge->statement);
}

void
ssi__name_key(const struct ssi *ssi, tree_id_t tree, struct slice key, char *to, size_t size)
{
    if (ssi->namer != NULL) {
        ssi->namer(ssi->namer_arg, tree, key, to, size);
    }
}

static void
describe_edge(
    const struct ssi *ssi, const struct structure *structure, int i, char *to, size_t size)
{
    if (!structure->known[i]) {
        (void)snprintf(to, size, "an earlier transaction that is no longer remembered");
        return;
    }
    char what[80] = "a row";
    ssi__name_key(ssi, structure->tree[i], slice_of(structure->key[i], structure->key_size[i]),
        what, sizeof what);
    (void)snprintf(to, size, "process %u%s read %s, which process %u%s changed (found in: %s)",
        structure->pid[i], structure->committed[i] ? " (committed)" : "", what,
        structure->pid[i + 1], structure->committed[i + 1] ? " (committed)" : "",
        structure->statement[i][0] == '\0' ? "COMMIT" : structure->statement[i]);
}

/* 40001 in PostgreSQL's words; why, in DETAIL. Without latches. */
static enum err
fail(struct txn *txn, const struct structure *structure, struct diag *diag)
{
    struct ssi *ssi = txn->db->ssi;
    char first[230], second[230], detail[TXN_FAILURE_DETAIL_MAX];
    describe_edge(ssi, structure, 0, first, sizeof first);
    describe_edge(ssi, structure, 1, second, sizeof second);
    (void)snprintf(detail, sizeof detail, "T1 -rw-> T2 -rw-> T3: %s; and %s.", first, second);
    (void)diag_set(diag, ERR_SERIALIZATION,
        "could not serialize access due to read/write dependencies among transactions");
    diag_detail(diag, "%s", detail);
    diag_hint(diag, "The transaction might succeed if retried.");
    failures__keep(txn->db, txn->owner_pid, detail);
    for (int i = 0; i < 2; i++) {
        bool counted =
            i == 1 && structure->known[0] && structure->tree[0].v == structure->tree[1].v;
        if (structure->known[i] && !counted) {
            failures__count(txn->db->failures, structure->tree[i], FAILURE_STRUCTURE);
        }
    }
    return ERR_SERIALIZATION;
}

void
txn_db_set_namer(struct txn_db *db, txn_namer *namer, void *arg)
{
    db->ssi->namer = namer;
    db->ssi->namer_arg = arg;
}

struct txn_filter *
txn_filter_hold(struct txn_filter *filter)
{
    atomic_fetch_add_explicit(&filter->references, 1, memory_order_relaxed);
    return filter;
}

void
txn_filter_release(struct txn_filter *filter)
{
    if (atomic_fetch_sub(&filter->references, 1) == 1) {
        filter->destroy(filter);
    }
}

bool
txn_tracks_reads(const struct txn *txn)
{
    return txn->sx != NULL;
}

void
txn_note_statement(struct txn *txn, const char *text, size_t size)
{
    struct sxact *sx = txn->sx;
    if (sx == NULL) {
        return;
    }
    size = size < SSI_STATEMENT_MAX - 1 ? size : SSI_STATEMENT_MAX - 1;
    memcpy(sx->statement, text, size);
    sx->statement[size] = '\0';
}

/* ---- dangerous structures ----------------------------------------------------------------------
 */

/* Did one that commits at `order` (0: not yet) do so after T3? */
static bool
ends_after(uint64_t order, uint64_t t3_order)
{
    return order == 0 || order > t3_order;
}

/* T1 read-only: T3 must have been in its snapshot. */
static bool
may_see(const struct sxact *t1, uint64_t t3_lsn)
{
    return !t1->read_only || (t3_lsn != 0 && t3_lsn <= t1->snapshot);
}

static uint64_t
row_hash(tree_id_t tree, struct slice key)
{
    return hash64(key.data, key.size, tree.v) | 1;
}

/* T1 wants to write a row of T2's: if T2 commits, T1 fails anyhow, so T2 need not (SS6). It waits
 * for T2, or in line for the row that T2 has just written. What is judged wrongly here is only
 * judged later. */
static bool
waits_for(const struct edge *edge)
{
    const struct sxact *t1 = edge->reader;
    const struct sxact *t2 = edge->writer;
    return (t2->id != 0 && atomic_load_explicit(&t1->waits_for, memory_order_relaxed) == t2->id) ||
           atomic_load_explicit(&t1->waits_row, memory_order_relaxed) == edge->row_hash;
}

/* A new edge reader -rw-> writer. True if it closes a dangerous structure. Both edges of it are
 * noted for the words. */
static bool
is_dangerous(const struct edge *edge, struct structure *structure)
{
    const struct sxact *reader = edge->reader;
    const struct sxact *writer = edge->writer;
    /* The writer as T2: an edge of its own to a T3 that commits before both. */
    uint64_t order = writer->out_order;
    if (order != 0 && ends_after(writer->order, order) && ends_after(reader->order, order) &&
        may_see(reader, writer->out_lsn)) {
        note_edge(structure, 0, edge);
        return true;
    }
    LIST_FOREACH (node, &writer->out) {
        const struct edge *out = LIST_ENTRY(node, struct edge, out);
        const struct sxact *t3 = out->writer;
        if (t3->order != 0 && (t3 == reader || ends_after(reader->order, t3->order)) &&
            ends_after(writer->order, t3->order) &&
            (t3 == reader || may_see(reader, t3->committed ? t3->end : 0))) {
            note_edge(structure, 0, edge);
            note_edge(structure, 1, out);
            return true;
        }
    }
    /* The reader as T2, the writer as T3. */
    if (writer->order == 0 || !ends_after(reader->order, writer->order)) {
        return false;
    }
    if (reader->summary_in) {
        note_edge(structure, 1, edge);
        return true;
    }
    LIST_FOREACH (node, &reader->in) {
        struct edge *in = LIST_ENTRY(node, struct edge, in);
        const struct sxact *t1 = in->reader;
        if (waits_for(in)) {
            in->hostage = true;
            continue;
        }
        if (!t1->doomed && (t1 == writer || ends_after(t1->order, writer->order)) &&
            may_see(t1, writer->committed ? writer->end : 0)) {
            note_edge(structure, 0, in);
            note_edge(structure, 1, edge);
            return true;
        }
    }
    return false;
}

static void
doom(struct sxact *sx, const struct structure *structure)
{
    sx->why = mem_alloc(sizeof *structure);
    *sx->why = *structure;
    atomic_store_explicit(&sx->doomed, true, memory_order_release);
}

/* One of the two lists is often long: both are walked, to the end of the shorter. */
static bool
has_edge(const struct sxact *reader, const struct sxact *writer)
{
    struct list_node *out = reader->out.next;
    struct list_node *in = writer->in.next;
    while (out != &reader->out && in != &writer->in) {
        if (LIST_ENTRY(out, struct edge, out)->writer == writer ||
            LIST_ENTRY(in, struct edge, in)->reader == reader) {
            return true;
        }
        out = out->next;
        in = in->next;
    }
    return false;
}

/* Enters reader -rw-> writer, found by `self`, one of them. Under the graph latch. True: self must
 * end. The other may have been doomed instead. */
static bool
add_edge(struct ssi *ssi, struct sxact *reader, struct sxact *writer, struct sxact *self,
    tree_id_t tree, struct slice key, struct structure *structure)
{
    if (reader->doomed || writer->doomed) {
        return self->doomed;
    }
    if (has_edge(reader, writer)) {
        return false;
    }
    struct edge *edge = mem_zalloc(sizeof *edge);
    edge->reader = reader;
    edge->writer = writer;
    edge->tree = tree;
    edge->key_size = (uint8_t)(key.size < SSI_KEY_MAX ? key.size : SSI_KEY_MAX);
    memcpy(edge->key, key.data, edge->key_size);
    edge->row_hash = row_hash(tree, key);
    memcpy(edge->statement, self->statement, sizeof edge->statement);
    list_push_back(&reader->out, &edge->out);
    list_push_back(&writer->in, &edge->in);
    ssi->edge_count++;
    if (!is_dangerous(edge, structure)) {
        return false;
    }
    /* As PostgreSQL: the pivot if it can still be aborted, else whoever found it (SS4). */
    if (writer->order == 0 && (self == reader || waits_for(edge))) {
        edge->hostage = true; /* or it may be about to wait for the pivot */
        if (self == reader) {
            self->undecided = true;
            self->undecided_row = edge->row_hash;
        }
        return false;
    }
    doom(self, structure);
    return true;
}

/* The structures that `t1` has found and that still are ones lose their pivots. Under the graph
 * latch. */
static void
doom_pivots_of(struct sxact *t1)
{
    LIST_FOREACH (node, &t1->out) {
        struct edge *edge = LIST_ENTRY(node, struct edge, out);
        struct sxact *pivot = edge->writer;
        struct structure structure = {0};
        if (edge->hostage && pivot->order == 0 && !pivot->doomed &&
            is_dangerous(edge, &structure)) {
            doom(pivot, &structure);
        }
        edge->hostage = false;
    }
    t1->undecided = false;
}

/* A pivot commits: it is T1 that may not (SS6). Under the graph latch. */
static void
doom_hostages(struct sxact *pivot)
{
    LIST_FOREACH (node, &pivot->in) {
        const struct edge *edge = LIST_ENTRY(node, struct edge, in);
        struct sxact *t1 = edge->reader;
        struct structure structure = {0};
        if (edge->hostage && t1->order == 0 && !t1->doomed) {
            note_edge(&structure, 0, edge);
            (void)is_dangerous(edge, &structure);
            doom(t1, &structure);
        }
    }
}

/* ---- what transactions do ----------------------------------------------------------------------
 */

static void
watch_writers(struct ssi *ssi, struct sxact *reader)
{
    LIST_FOREACH (node, &ssi->active) {
        struct sxact *writer = LIST_ENTRY(node, struct sxact, node);
        if (!writer->read_only) {
            struct watch *watch = mem_zalloc(sizeof *watch);
            watch->writer = writer;
            watch->reader = reader;
            list_push_back(&writer->watches, &watch->watches);
            list_push_back(&reader->watched, &watch->watched);
        }
    }
    reader->safe = list_empty(&reader->watched);
}

uint64_t
ssi__begin(struct txn *txn)
{
    struct ssi *ssi = txn->db->ssi;
    struct sxact *sx = sxact_new(txn);
    list_init(&sx->out);
    list_init(&sx->in);
    list_init(&sx->watches);
    list_init(&sx->watched);
    sx->read_only = txn->read_only;
    sx->pid = txn->owner_pid;
    atomic_fetch_add(&ssi->readers, 1); /* before it reads anything (SS1) */
    latch_acquire(&ssi->graph);
    sx->snapshot = snapshot__take(txn->db, txn->slot);
    if (sx->read_only) {
        watch_writers(ssi, sx);
    }
    list_push_back(&ssi->active, &sx->node);
    share_spare(txn);
    latch_release(&ssi->graph);
    txn->sx = sx;
    return sx->snapshot;
}

void
ssi__set_id(struct txn *txn, uint64_t id)
{
    struct ssi *ssi = txn->db->ssi;
    latch_acquire(&ssi->graph);
    txn->sx->id = id;
    struct sxact **bucket = &ssi->ids[hash_u64(id) % SSI_ID_BUCKETS];
    txn->sx->chain = *bucket;
    *bucket = txn->sx;
    latch_release(&ssi->graph);
}

void
ssi__waits(struct txn *txn, uint64_t id, tree_id_t tree, struct slice key)
{
    atomic_store_explicit(&txn->sx->waits_for, id, memory_order_relaxed);
    atomic_store_explicit(&txn->sx->waits_row, row_hash(tree, key), memory_order_relaxed);
}

void
ssi__waits_no_more(struct txn *txn)
{
    atomic_store_explicit(&txn->sx->waits_for, 0, memory_order_relaxed);
    atomic_store_explicit(&txn->sx->waits_row, 0, memory_order_relaxed);
}

static enum err
check_doomed(struct txn *txn, struct diag *diag)
{
    bool doomed = atomic_load_explicit(&txn->sx->doomed, memory_order_acquire);
    return doomed ? fail(txn, txn->sx->why, diag) : ERR_OK;
}

enum err
ssi__check(struct txn *txn, struct diag *diag)
{
    if (txn->sx->undecided) { /* it did not wait for the pivot */
        latch_acquire(&txn->db->ssi->graph);
        doom_pivots_of(txn->sx);
        latch_release(&txn->db->ssi->graph);
    }
    return check_doomed(txn, diag);
}

enum err
txn_wait_for_safe_snapshot(struct task *task, struct txn *txn, struct diag *diag)
{
    ASSERT(txn->isolation == TXN_SERIALIZABLE && txn->read_only && !txn->has_snapshot);
    struct ssi *ssi = txn->db->ssi;
    for (;;) {
        (void)txn_statement_begin(txn);
        struct sxact *sx = txn->sx;
        enum err err = ERR_OK;
        for (;;) {
            latch_acquire(&ssi->graph);
            bool decided = sx->safe || sx->unsafe;
            bool safe = sx->safe;
            sx->sleeper = decided || err != ERR_OK ? NULL : task;
            latch_release(&ssi->graph);
            if (decided || err != ERR_OK) {
                if (safe || err != ERR_OK) {
                    ssi__rolled_back(txn); /* nothing to track, or nothing at all */
                    return err;
                }
                break;
            }
            atomic_store_explicit(&txn->sleeps, TXN_WAITS_SAFE_SNAPSHOT, memory_order_relaxed);
            task_park(task, WORLD_NEVER);
            atomic_store_explicit(&txn->sleeps, TXN_WAITS_NOT, memory_order_relaxed);
            err = task_interrupted(task, diag);
        }
        ssi__rolled_back(txn);
        snapshot__drop(txn->slot);
        txn->has_snapshot = false;
    }
}

size_t
ssi__awaited_pids(struct ssi *ssi, uint32_t pid, uint32_t *pids, size_t capacity)
{
    size_t count = 0;
    latch_acquire(&ssi->graph);
    LIST_FOREACH (node, &ssi->active) {
        const struct sxact *sx = LIST_ENTRY(node, struct sxact, node);
        if (sx->pid != pid || sx->sleeper == NULL) {
            continue;
        }
        LIST_FOREACH (watch_node, &sx->watched) {
            const struct watch *watch = LIST_ENTRY(watch_node, struct watch, watched);
            if (count < capacity) {
                pids[count] = watch->writer->pid;
            }
            count++;
        }
    }
    latch_release(&ssi->graph);
    return count;
}

enum err
ssi__read_key(struct txn *txn, tree_id_t tree, struct slice key, struct diag *diag)
{
    bool again = txn->sx->undecided && txn->sx->undecided_row == row_hash(tree, key);
    TRY(again ? check_doomed(txn, diag) : ssi__check(txn, diag)); /* still about to write it? */
    struct ssi_reads *reads = reads_of(txn->db->ssi, txn->sx, tree);
    latch_acquire(&txn->sx->latch);
    add_range(reads, key, key, true);
    latch_release(&txn->sx->latch);
    return ERR_OK;
}

static struct slice
successor_of(struct arena *arena, struct slice key)
{
    uint8_t *bytes = arena_alloc_raw(arena, key.size + 1);
    memcpy(bytes, key.data, key.size);
    bytes[key.size] = 0;
    return slice_of(bytes, key.size + 1);
}

enum err
ssi__scan_begin(struct txn *txn, tree_id_t tree, const struct txn_range *range, struct arena *arena,
    struct txn_filter *filter, struct ssi_scan *scan, struct diag *diag)
{
    TRY(ssi__check(txn, diag));
    *scan =
        (struct ssi_scan){.reads = reads_of(txn->db->ssi, txn->sx, tree), .low = slice_of("", 0)};
    if (range->has_low) {
        scan->low = range->low_exclusive ? successor_of(arena, range->low) : range->low;
    }
    if (range->has_high) {
        scan->has_high = true;
        scan->high = range->high_exclusive ? range->high : successor_of(arena, range->high);
    }
    scan->filter = filter;
    latch_acquire(&txn->sx->latch);
    list_push_back(&scan->reads->scans, &scan->node);
    latch_release(&txn->sx->latch);
    return ERR_OK;
}

void
ssi__scan_end(struct txn *txn, struct ssi_scan *scan, bool all, bool backward, struct slice last)
{
    struct ssi_reads *reads = scan->reads;
    struct slice low = scan->low;
    struct slice high = scan->has_high ? scan->high : (struct slice){0};
    bool successor = false;
    if (!all && backward) {
        low = last;
    } else if (!all) {
        high = last;
        successor = true;
    }
    latch_acquire(&txn->sx->latch);
    list_remove(&scan->node);
    bool empty = (!all && last.data == NULL) ||
                 (high.data != NULL && !successor && slice_compare(low, high) >= 0);
    if (empty) {
        /* nothing was looked at */
    } else if (scan->filter != NULL && reads->filtered_count < FILTERED_MAX) {
        if (reads->filtered == NULL) {
            reads->filtered = mem_array(FILTERED_MAX, sizeof *reads->filtered);
        }
        struct range *range = &reads->filtered[reads->filtered_count++];
        *range = (struct range){.low = keep(txn->sx, low, false),
            .low_size = (uint32_t)low.size,
            .filter = txn_filter_hold(scan->filter)};
        if (high.data != NULL) {
            range->high = keep(txn->sx, high, successor);
            range->high_size = (uint32_t)(high.size + successor);
        }
    } else {
        add_range(reads, low, high, successor);
    }
    latch_release(&txn->sx->latch);
}

static struct sxact *
find_id(const struct ssi *ssi, uint64_t id)
{
    struct sxact *sx = ssi->ids[hash_u64(id) % SSI_ID_BUCKETS];
    while (sx != NULL && sx->id != id) {
        sx = sx->chain;
    }
    return sx;
}

enum err
ssi__saw_newer(struct txn *txn, uint64_t writer, tree_id_t tree, struct slice key, bool few,
    bool *known, struct diag *diag)
{
    struct ssi *ssi = txn->db->ssi;
    struct structure structure = {0};
    bool ends = false;
    latch_acquire(&ssi->graph);
    struct sxact *other = find_id(ssi, writer);
    *known = other != NULL;
    if (other != NULL && other != txn->sx) {
        ends = add_edge(ssi, txn->sx, other, txn->sx, tree, key, &structure);
        if (txn->sx->undecided && (!few || txn->sx->read_only)) {
            doom_pivots_of(txn->sx);
        }
    } else if (other == NULL && txn->sx->snapshot < ssi->blind_end && !txn->sx->doomed) {
        doom(txn->sx, &structure);
        ends = true;
    }
    latch_release(&ssi->graph);
    return ends ? fail(txn, txn->sx->why != NULL ? txn->sx->why : &structure, diag) : ERR_OK;
}

enum err
ssi__met_ahead(
    struct txn *txn, uint64_t writer, tree_id_t tree, struct slice key, struct diag *diag)
{
    struct ssi *ssi = txn->db->ssi;
    struct structure structure = {0};
    bool ends = false;
    latch_acquire(&ssi->graph);
    struct sxact *sx = txn->sx;
    struct sxact *other = find_id(ssi, writer);
    sx->met_ahead = true;
    if (other != NULL && other != sx) {
        ends = add_edge(ssi, other, sx, sx, tree, key, &structure);
    } else if (other == NULL && sx->snapshot < ssi->blind_end && !sx->doomed) {
        doom(sx, &structure);
        ends = true;
    }
    latch_release(&ssi->graph);
    return ends ? fail(txn, sx->why, diag) : ERR_OK;
}

/* SS7. Has the reader an edge to who wrote the version that is replaced now? Then that one does, to
 * the writer: what it replaces is in its snapshot. Under the graph latch. */
static bool
follows_edge(const struct sxact *reader, const struct sxact *replaced, const struct sxact *writer)
{
    return replaced != NULL && replaced != reader && replaced->committed && !reader->met_ahead &&
           replaced->end > reader->snapshot && replaced->end <= writer->snapshot;
}

/* Is the reader's end in the writer's snapshot? Then they follow one another. */
static bool
is_over(const struct sxact *reader, const struct sxact *writer)
{
    return reader->committed && reader->end <= writer->snapshot;
}

/* Somebody summarised has read what is written here: the writer is a pivot if it has an edge to one
 * that has committed. Under the graph latch. True: it must end. */
static bool
add_summary_edge(struct ssi *ssi, struct sxact *writer)
{
    if (writer->snapshot >= ssi->summary_end || writer->doomed) {
        return writer->doomed;
    }
    writer->summary_in = true;
    struct structure structure = {0};
    bool dangerous = writer->out_order != 0;
    LIST_FOREACH (node, &writer->out) {
        const struct edge *out = LIST_ENTRY(node, struct edge, out);
        if (out->writer->order != 0) {
            note_edge(&structure, 1, out);
            dangerous = true;
            break;
        }
    }
    if (dangerous) {
        doom(writer, &structure);
    }
    return dangerous;
}

/* images NULL: the whole tree. */
static enum err
wrote(struct txn *txn, tree_id_t id, struct slice key, const struct images *images,
    uint64_t replaced, struct diag *diag)
{
    struct ssi *ssi = txn->db->ssi;
    struct sxact *sx = txn->sx;
    TRY(ssi__check(txn, diag));
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&ssi->readers) <= 1) {
        return ERR_OK; /* none but this one */
    }
    struct ssi_tree **bucket;
    struct ssi_partition *partition = partition_of(ssi, id, &bucket);
    struct structure structure = {0};
    bool ends = false;
    latch_acquire(&partition->latch);
    const struct ssi_tree *tree = find_tree(bucket, id);
    if (tree != NULL) {
        LIST_FOREACH (node, &tree->reads) {
            struct ssi_reads *reads = LIST_ENTRY(node, struct ssi_reads, node);
            struct sxact *owner = reads->owner;
            if (owner == sx) {
                continue;
            }
            latch_acquire(&owner->latch);
            enum was_read read = images == NULL ? READ_HERE : has_read(reads, key, images);
            latch_release(&owner->latch);
            if (read == READ_NOT) {
                continue;
            }
            latch_acquire(&ssi->graph);
            if (owner == ssi->summary) {
                ends = add_summary_edge(ssi, sx);
            } else {
                const struct sxact *before = read == READ_ANYTHING ? find_id(ssi, replaced) : NULL;
                ends = !owner->forgotten && !is_over(owner, sx) &&
                       !follows_edge(owner, before, sx) &&
                       add_edge(ssi, owner, sx, sx, id, key, &structure);
            }
            latch_release(&ssi->graph);
            if (ends) {
                break;
            }
        }
    }
    latch_release(&partition->latch);
    return ends ? fail(txn, sx->why, diag) : ERR_OK;
}

enum err
ssi__wrote(struct txn *txn, tree_id_t tree, struct slice key, struct slice old, struct slice new,
    bool known, uint64_t replaced, struct diag *diag)
{
    struct images images = {.old = old, .new = new, .known = known};
    return wrote(txn, tree, key, &images, replaced, diag);
}

enum err
ssi__wrote_tree(struct txn *txn, tree_id_t tree, struct diag *diag)
{
    return wrote(txn, tree, slice_of("", 0), NULL, 0, diag);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* This one is about to be T3, first of the three: is there a T2 that may not commit after it? */
static void
doom_pivots(struct sxact *sx)
{
    LIST_FOREACH (near_node, &sx->in) {
        const struct edge *near = LIST_ENTRY(near_node, struct edge, in);
        struct sxact *pivot = near->reader;
        if (pivot->order != 0 || pivot->doomed) {
            continue;
        }
        struct structure structure = {0};
        bool dangerous = false; /* those of pivot->summary_in have committed, before this one */
        LIST_FOREACH (far_node, &pivot->in) {
            struct edge *far = LIST_ENTRY(far_node, struct edge, in);
            const struct sxact *t1 = far->reader;
            if (t1 != sx && waits_for(far)) {
                far->hostage = true;
                continue;
            }
            if (t1 == sx || (t1->order == 0 && !t1->read_only && !t1->doomed)) {
                note_edge(&structure, 0, far);
                dangerous = true;
                break;
            }
        }
        if (dangerous) {
            note_edge(&structure, 1, near);
            doom(pivot, &structure);
        }
    }
}

enum err
ssi__prepare(struct txn *txn, struct diag *diag)
{
    struct ssi *ssi = txn->db->ssi;
    struct sxact *sx = txn->sx;
    latch_acquire(&ssi->graph);
    bool doomed = sx->doomed;
    if (!doomed) {
        if (txn->log == NULL) {
            sx->read_only = true;
        } else {
            doom_hostages(sx);
            doom_pivots(sx);
        }
        doom_pivots_of(sx);
        sx->order = ssi->next_order++;
    }
    latch_release(&ssi->graph);
    return doomed ? fail(txn, sx->why, diag) : ERR_OK;
}

bool
ssi__commit_enter(struct txn *txn)
{
    struct ssi *ssi = txn->db->ssi;
    latch_acquire(&ssi->graph);
    if (txn->sx->doomed) {
        latch_release(&ssi->graph);
        return false;
    }
    return true;
}

void
ssi__commit_leave(struct txn *txn, uint64_t lsn)
{
    struct ssi *ssi = txn->db->ssi;
    struct sxact *sx = txn->sx;
    if (lsn != 0) {
        doom_hostages(sx);
        doom_pivots_of(sx);
        doom_pivots(sx);
        sx->order = ssi->next_order++;
        sx->end = lsn;
        sx->committed = true;
    }
    latch_release(&ssi->graph);
}

static uint64_t
oldest_snapshot(const struct ssi *ssi)
{
    return list_empty(&ssi->active) ? UINT64_MAX
                                    : LIST_ENTRY(ssi->active.next, struct sxact, node)->snapshot;
}

static void
take(struct ssi *ssi, struct list_node *list, uint32_t *count, uint32_t limit, uint64_t oldest,
    struct sxact **chain)
{
    while (!list_empty(list)) {
        struct sxact *sx = LIST_ENTRY(list->next, struct sxact, node);
        bool over = sx->end <= oldest;
        if (sx->busy || (!over && *count <= limit)) {
            break;
        }
        if (!over) { /* SS5 */
            ssi->blind_end = sx->end > ssi->blind_end ? sx->end : ssi->blind_end;
            LIST_FOREACH (node, &sx->out) {
                LIST_ENTRY(node, struct edge, out)->writer->summary_in = true;
            }
        }
        forget(ssi, sx);
        --*count;
        sx->chain = *chain;
        *chain = sx;
    }
}

/* SS3: those that no active one overlaps any more. They are chained for the caller. */
static struct sxact *
take_forgotten(struct ssi *ssi)
{
    uint64_t oldest = oldest_snapshot(ssi);
    struct sxact *chain = NULL;
    take(ssi, &ssi->stubs, &ssi->stub_count, ssi->stubs_max, oldest, &chain);
    if (list_empty(&ssi->stubs)) {
        take(ssi, &ssi->committed, &ssi->committed_count, UINT32_MAX, oldest, &chain);
    }
    return chain;
}

/* Writers find its ranges here or there: both under the partition's latch. */
static void
summarise(struct ssi *ssi, struct sxact *sx)
{
    for (struct ssi_reads *reads = sx->reads; reads != NULL; reads = reads->next) {
        struct ssi_reads *to = reads_of(ssi, ssi->summary, reads->tree->id);
        struct ssi_tree **bucket;
        struct ssi_partition *partition = partition_of(ssi, reads->tree->id, &bucket);
        latch_acquire(&partition->latch);
        latch_acquire(&ssi->summary->latch);
        for (uint32_t i = 0; i < reads->count + reads->filtered_count; i++) {
            const struct range *range =
                i < reads->count ? &reads->ranges[i] : &reads->filtered[i - reads->count];
            add_range(to, slice_of(range->low, range->low_size),
                range->high == NULL ? (struct slice){0} : slice_of(range->high, range->high_size),
                false);
        }
        latch_release(&ssi->summary->latch);
        latch_release(&partition->latch);
    }
    free_reads(ssi, sx);
    arena_reset(&sx->memory);
}

/* Keeps what is remembered within its limits. */
static void
tidy(struct ssi *ssi)
{
    enum {
        BATCH = 64
    };
    struct sxact *batch[BATCH];
    int count = 0;
    latch_acquire(&ssi->graph);
    bool mine = !ssi->summarising;
    bool clear = mine && ssi->summary_end != 0 && ssi->summary_end <= oldest_snapshot(ssi);
    while (mine && !clear && count < BATCH && ssi->committed_count > ssi->committed_max) {
        struct sxact *sx = LIST_ENTRY(ssi->committed.next, struct sxact, node);
        list_remove(&sx->node);
        list_push_back(&ssi->stubs, &sx->node);
        ssi->committed_count--;
        ssi->stub_count++;
        sx->busy = true;
        ssi->summary_end = sx->end > ssi->summary_end ? sx->end : ssi->summary_end;
        batch[count++] = sx;
    }
    if (clear) {
        ssi->summary_end = 0;
    }
    bool works = clear || count > 0;
    ssi->summarising |= works;
    latch_release(&ssi->graph);
    if (!works) {
        return;
    }
    if (clear) { /* nobody who began before it is left */
        free_reads(ssi, ssi->summary);
        latch_acquire(&ssi->summary->latch);
        arena_reset(&ssi->summary->memory);
        latch_release(&ssi->summary->latch);
    }
    for (int i = 0; i < count; i++) {
        summarise(ssi, batch[i]);
    }
    latch_acquire(&ssi->graph);
    for (int i = 0; i < count; i++) {
        batch[i]->busy = false;
    }
    ssi->summarising = false;
    latch_release(&ssi->graph);
}

static void
free_chain(struct txn *txn, struct sxact *chain)
{
    while (chain != NULL) {
        struct sxact *next = chain->chain;
        sxact_retire(txn, chain);
        chain = next;
    }
}

void
ssi__committed(struct txn *txn, uint64_t lsn)
{
    struct ssi *ssi = txn->db->ssi;
    struct sxact *sx = txn->sx;
    txn->sx = NULL;
    latch_acquire(&ssi->graph);
    sx->end = lsn;
    sx->committed = true;
    settle_watches(sx);
    list_remove(&sx->node);
    list_push_back(&ssi->committed, &sx->node);
    ssi->committed_count++;
    struct sxact *forgotten = take_forgotten(ssi);
    bool tidies = ssi->committed_count > ssi->committed_max || ssi->summary_end != 0;
    latch_release(&ssi->graph);
    free_chain(txn, forgotten);
    if (tidies) {
        tidy(ssi);
    }
}

void
ssi__rolled_back(struct txn *txn)
{
    struct ssi *ssi = txn->db->ssi;
    struct sxact *sx = txn->sx;
    txn->sx = NULL;
    latch_acquire(&ssi->graph);
    forget(ssi, sx);
    struct sxact *forgotten = take_forgotten(ssi);
    latch_release(&ssi->graph);
    sxact_retire(txn, sx);
    free_chain(txn, forgotten);
}

/* ---- what has been read, for people to look at -------------------------------------------------
 */

struct lines {
    struct arena *arena;
    struct txn_read_line *lines;
    size_t count, capacity, limit;
};

static struct slice
copy_key(struct arena *arena, const uint8_t *key, size_t size)
{
    return slice_of(size == 0 ? (const uint8_t *)"" : arena_copy(arena, key, size), size);
}

static void
add_line(struct lines *to, const struct txn_read_line *line)
{
    if (to->count == to->limit) {
        return;
    }
    if (to->count == to->capacity) {
        size_t capacity = to->capacity == 0 ? 64 : 2 * to->capacity;
        struct txn_read_line *bigger = arena_array(to->arena, capacity, sizeof *bigger);
        if (to->count > 0) {
            memcpy(bigger, to->lines, to->count * sizeof *bigger);
        }
        to->lines = bigger;
        to->capacity = capacity;
    }
    struct txn_read_line *copy = &to->lines[to->count++];
    *copy = *line;
    copy->low = copy_key(to->arena, line->low.data, line->low.size);
    if (line->has_high) {
        copy->high = copy_key(to->arena, line->high.data, line->high.size);
    }
    if (line->filter != NULL) {
        (void)txn_filter_hold(line->filter);
    }
}

static void
add_range_line(struct lines *to, struct txn_read_line line, const struct range *range)
{
    line.low = slice_of(range->low, range->low_size);
    line.has_high = range->high != NULL;
    line.high = slice_of(range->high, range->high_size);
    line.filter = range->filter;
    add_line(to, &line);
}

/* Under the owner's latch. */
static void
add_reads(struct lines *to, const struct ssi_reads *reads, struct txn_read_line line)
{
    for (uint32_t i = 0; i < reads->count; i++) {
        add_range_line(to, line, &reads->ranges[i]);
    }
    for (uint32_t i = 0; i < reads->filtered_count; i++) {
        add_range_line(to, line, &reads->filtered[i]);
    }
    line.scanning = true;
    LIST_FOREACH (node, &reads->scans) {
        const struct ssi_scan *scan = LIST_ENTRY(node, struct ssi_scan, node);
        line.low = scan->low;
        line.high = scan->high;
        line.has_high = scan->has_high;
        line.filter = scan->filter;
        add_line(to, &line);
    }
}

static void
add_tree(struct ssi *ssi, struct lines *to, const struct ssi_tree *tree)
{
    LIST_FOREACH (node, &tree->reads) {
        const struct ssi_reads *reads = LIST_ENTRY(node, struct ssi_reads, node);
        struct sxact *owner = reads->owner;
        struct txn_read_line line = {.tree = tree->id, .pid = owner->pid};
        latch_acquire(&owner->latch);
        latch_acquire(&ssi->graph);
        line.state = owner == ssi->summary ? TXN_READ_SUMMARISED
                     : owner->committed    ? TXN_READ_COMMITTED_OVERLAPPED
                                           : TXN_READ_ACTIVE;
        bool gone = owner->forgotten;
        latch_release(&ssi->graph);
        if (!gone) {
            add_reads(to, reads, line);
        }
        latch_release(&owner->latch);
    }
}

size_t
txn_db_reads(struct txn_db *db, struct arena *arena, size_t limit, struct txn_read_line **lines)
{
    struct ssi *ssi = db->ssi;
    struct lines all = {.arena = arena, .limit = limit};
    for (int i = 0; i < SSI_TREE_PARTITIONS; i++) {
        struct ssi_partition *partition = &ssi->partitions[i];
        latch_acquire(&partition->latch);
        for (int b = 0; b < TREES_BUCKETS; b++) {
            for (const struct ssi_tree *tree = partition->buckets[b]; tree != NULL;
                 tree = tree->next) {
                add_tree(ssi, &all, tree);
            }
        }
        latch_release(&partition->latch);
    }
    *lines = all.lines;
    return all.count;
}
