/*
 * txn/ssi.h - serializable snapshot isolation.
 *
 * Cahill, Röhm and Fekete, "Serializable Isolation for Snapshot Databases" (2008), with the
 * refinements of Ports and Grittner, "Serializable Snapshot Isolation in PostgreSQL" (2012): an
 * execution under snapshot isolation can be wrong only if it has a dangerous structure
 *
 *     T1 -rw-> T2 -rw-> T3      T3 commits first of the three (T1 and T3 may be the same)
 *                               and, if T1 writes nothing, before T1's snapshot
 *
 * where T -rw-> U says: T read a version of something that U, concurrent with it, replaced.
 *
 * What is ours: a transaction remembers what it read as half-open ranges of encoded keys of each
 * tree, [low, high), gaps included; ranges that touch are one. A range may carry the scan's filter:
 * then a write conflicts with it only if the row passes, before or after.
 *
 * Invariants
 *   SS1. A range is entered before its rows are read, and a row is written before the ranges
 *        over it are looked at; both under or ordered by the tree's latch. So of a reader and a
 *        writer at least one sees the other: the writer the range, or the reader the newer version.
 *   SS2. Edges, flags and the order of commits change under the graph latch only. A structure
 *        becomes dangerous by an edge or by T3's commit; both look for it, before they happen.
 *   SS3. A committed transaction and its ranges stay until every serializable transaction that
 *        overlapped it has ended.
 *   SS4. The last look whether somebody has chosen it as the victim, the place in the order of
 *        commits, the LSN and becoming visible are one step under commit latch and graph latch: the
 *        orders agree, and no snapshot is taken in between. Afterwards nobody aborts it any more.
 *   SS5. Merging ranges, dropping filters and summarising old transactions only add conflicts.
 *   SS6. A structure whose T1 waits to write a row of its T2's (for T2's end, or in line), or may
 * be about to, stands until one of the two commits: that one dooms the other. (T1 fails anyhow if
 *        T2 commits.) Whether it waits is a guess; a wrong one decides earlier or later, never not.
 *   SS7. An edge leads to the first serializable writer after the version read; those after it
 *        follow that one. (With a filter, to all: the first may not have changed what passes.)
 *   SS8. Unique keys look past the snapshot: who is told that a key is taken, or is given one that
 *        was deleted, by somebody concurrent, comes after that one. This counts as an edge, too:
 *        the theory needs only that all other kinds of dependency imply a commit before a begin.
 *
 * Latch order: a leaf's latch, the commit latch, or none - tree partition - a transaction's ranges
 * - graph. Nothing sleeps under any of them.
 */
#ifndef TXN_SSI_H
#define TXN_SSI_H

#include "base/latch.h"
#include "base/list.h"
#include "txn/txn.h"

struct ssi;
struct sxact;

enum {
    SSI_TREE_PARTITIONS = 64,
    SSI_ID_BUCKETS = 16384,
    SSI_STATEMENT_MAX = 80,
    SSI_KEY_MAX = 64, /* bytes of a key kept for the words of an error */
};

/* A scan that is going on: everything from where it began to where it might go counts as read. It
 * is part of a txn_scan; its slices are the scan's. */
struct ssi_scan {
    struct list_node node; /* in ssi_reads->scans; linked while the scan is open */
    struct ssi_reads *reads;
    struct slice low, high; /* [low, high) */
    bool has_high;
    struct txn_filter *filter; /* or NULL; counted */
};

struct ssi *ssi__create(const struct txn_db_options *options);
/* In the catalog's words, if it gave any; else `to` stays as it is. Without latches. */
void ssi__name_key(const struct ssi *ssi, tree_id_t tree, struct slice key, char *to, size_t size);
/* Pids of the writers for whose ends the serializable read-only transaction of `pid` sleeps. */
size_t ssi__awaited_pids(struct ssi *ssi, uint32_t pid, uint32_t *pids, size_t capacity);
void ssi__destroy(struct ssi *ssi);

/* The first snapshot of a serializable transaction: taken and entered in one. */
uint64_t ssi__begin(struct txn *txn);
/* Before anybody can meet a version of this id. */
void ssi__set_id(struct txn *txn, uint64_t id);

/* Before a row, or a range, is read (SS1). */
enum err ssi__read_key(struct txn *txn, tree_id_t tree, struct slice key, struct diag *diag);
enum err ssi__scan_begin(struct txn *txn, tree_id_t tree, const struct txn_range *range,
    struct arena *arena, struct txn_filter *filter, struct ssi_scan *scan, struct diag *diag);
/* What was read in the end: all, or up to and with `last` (NULL data: nothing). */
void ssi__scan_end(
    struct txn *txn, struct ssi_scan *scan, bool all, bool backward, struct slice last);
/* A version was passed over because `writer` is not in the snapshot. `few`: it was one of few rows,
 * perhaps looked up to be written (SS6). *known: it is a serializable one. */
enum err ssi__saw_newer(struct txn *txn, uint64_t writer, tree_id_t tree, struct slice key,
    bool few, bool *known, struct diag *diag);
/* After a row was written (SS1). NULL data: no such value. Not `known`: do not ask filters.
 * `replaced`: whose version it was (SS7), 0: none. */
enum err ssi__wrote(struct txn *txn, tree_id_t tree, struct slice key, struct slice old,
    struct slice new, bool known, uint64_t replaced, struct diag *diag);
/* It was told, or made use of, what `writer` did to the key, though that is not in its snapshot
 * (SS8). */
enum err ssi__met_ahead(
    struct txn *txn, uint64_t writer, tree_id_t tree, struct slice key, struct diag *diag);
/* The whole tree was. */
enum err ssi__wrote_tree(struct txn *txn, tree_id_t tree, struct diag *diag);
/* It is about to sleep until it can write a row: until `id` has ended, or in line (0). */
void ssi__waits(struct txn *txn, uint64_t id, tree_id_t tree, struct slice key);
void ssi__waits_no_more(struct txn *txn);
/* Has somebody chosen this one as the victim? */
enum err ssi__check(struct txn *txn, struct diag *diag);

/* The end of one that has nothing for the log; after it succeeded nobody aborts this one any more
 * (SS4). */
enum err ssi__prepare(struct txn *txn, struct diag *diag);
/* The same around the commit record and its becoming visible: false if it is doomed, else the graph
 * latch is held until ssi__commit_leave (lsn 0: it could not be written). */
bool ssi__commit_enter(struct txn *txn);
void ssi__commit_leave(struct txn *txn, uint64_t lsn);
/* Afterwards, without latches. */
void ssi__committed(struct txn *txn, uint64_t lsn);
void ssi__rolled_back(struct txn *txn);
/* Memory kept for the session's next transaction. */
void ssi__trim(struct txn *txn);

#endif /* TXN_SSI_H */
