/*
 * sql/catalog/buckets.h - which buckets are this node's, and the check of every row and statement.
 *
 * Each node keeps, in a tree of its own and so under the same snapshots as its rows, what it is to
 * each bucket of each group. On a server that is no node of a cluster (setting cluster_node is
 * empty) every bucket is its own and nothing is looked up.
 *
 *     ELSEWHERE -> OWNED          the move to here ends: rows and this state in one commit
 *     OWNED     -> HANDING        the bucket is stopped: read, not written
 *     HANDING   -> OWNED          the move was given up before it was decided
 *     HANDING   -> SENT           decided: neither read nor written here any more; rows still there
 *     SENT      -> GONE           rows and state in one commit
 *     GONE      -> OWNED          it has come back
 *
 * Invariants
 *   BU1. Who writes a row, or commits with an idempotency key of the bucket, holds its lock,
 *        shared, to the end of his transaction, and has seen OWNED in the newest version of the
 *        state after he got it. Who changes OWNED to anything holds that lock alone. So no write to
 *        a bucket commits behind the commit that took it away, however old the writer's map or
 *        snapshot is.
 *   BU2. A statement reads buckets it was routed for only if they are OWNED or HANDING at its own
 *        snapshot; and, unless it is confined to them, only if no bucket is SENT at it. Rows on
 *        their way in are uncommitted, rows left behind are refused as SENT: so a snapshot sees
 *        each row in one place at most, and none that is out of date. Who names no buckets and
 *        reads all nodes at one stamp relies on more: SENT lasts, in stamps, until the other is
 *        OWNED (shard/move.h, MV5), so no stamp lies where the row is in no place.
 *   BU3. The words in memory are a cache of the tree: a word names a state and the LSN from which
 *        on it holds. Who changes a state makes the word say "ask the tree" before his commit, and
 *        it is believed again only with what a snapshot at or behind that commit has seen.
 *   BU4. The epoch of routes is part of the picture that a statement was planned by, so it is that
 *        of the names and schemes in it. A route of another epoch is refused, whichever is older:
 *        it may mean other tables, other buckets or other nodes.
 */
#ifndef SQL_CATALOG_BUCKETS_H
#define SQL_CATALOG_BUCKETS_H

#include "shard/route.h"
#include "sql/catalog/sharding.h"

struct bucket_group;

enum bucket_state {
    BUCKET_ELSEWHERE,
    BUCKET_OWNED,
    BUCKET_HANDING,
    BUCKET_SENT,
    BUCKET_GONE,
};
const char *bucket_state_name(enum bucket_state state);

struct bucket_record {
    enum bucket_state state;
    uint64_t epoch;   /* of the map by which it came or went */
    uint64_t attempt; /* of the move that is about it; 0: none. A stale mover has a lower one */
    const char *node; /* HANDING, SENT, GONE: where it goes or went; "" otherwise */
};

/* After catalog_open, before the first statement. `node`: this server's name in the cluster; "". */
enum err buckets_open(
    struct task *task, struct catalog_store *store, const char *node, struct diag *diag);
const char *buckets_node(const struct catalog_store *store);
/* The group of this name; made when it is asked for first. */
struct bucket_group *buckets_group(struct catalog_store *store, const char *name);

/* ---- checks ----------------------------------------------------------------------------------
 *
 * ERR_WRONG_BUCKET (TR003): it is another's; DETAIL "node=n2 epoch=18 bucket=5 group=public.users"
 * says whose as far as known. ERR_BUCKET_MOVING (TR004): in a moment it is; ask again. */

/* BU4. By the picture the statement was planned by. TR004: it is this node that is behind. */
enum err buckets_check_epoch(
    const struct catalog *catalog, const struct shard_route *route, struct diag *diag);
/* The buckets a statement was routed for, at its snapshot. */
enum err buckets_check_route(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, const struct shard_route *route, struct diag *diag);
/* A statement that may read all of the table. */
enum err buckets_check_table(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, const struct relation *relation, struct diag *diag);
/* A row that is about to be written or removed; `key` is scratch. May wait for a move. */
enum err buckets_check_write(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct relation *relation, const struct datum *row, struct buffer *key,
    struct diag *diag);
/* The transaction commits with an idempotency key that goes where the bucket goes; noted as a
 * change of relation 0; or, with an empty one, is answered from such a key. May wait for a move. */
enum err buckets_check_key(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t bucket, struct slice key, struct diag *diag);

/* ---- changing --------------------------------------------------------------------------------
 */

/* Alone, held to the end of the transaction. */
enum err buckets_lock(struct task *task, struct txn *txn, struct bucket_group *group,
    uint32_t bucket, bool alone, struct diag *diag);
/* The newest state, this transaction's changes included. */
enum err buckets_get(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t bucket, struct arena *arena, struct bucket_record *record,
    struct diag *diag);
enum err buckets_put(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t bucket, const struct bucket_record *record,
    struct diag *diag);
/* What routes mean has changed (BU4): this is their epoch if the transaction commits. */
enum err buckets_put_epoch(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t epoch, struct diag *diag);
/* The parent's values may be the child's now, and so may be those that idempotency keys' first
 * statements were for: the keys go with either (sql/session/idempotency_moves.c). The caller has
 * both locks alone. */
enum err buckets_split_keys(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, uint32_t parent, uint32_t child, struct diag *diag);
/* The group's last table is dropped. */
enum err buckets_remove_group(struct task *task, struct catalog_store *store, struct txn *txn,
    struct bucket_group *group, struct diag *diag);
/* ---- following -------------------------------------------------------------------------------
 *
 * While a bucket is sent elsewhere the keys of rows that are written in it are noted by who writes
 * them. So nothing needs to be known of what the log says, and a row that is changed often is sent
 * once a round. */

struct bucket_capture;
/* From the return on every write is noted. It waits for writers that were at work. */
enum err buckets_capture(struct task *task, struct catalog_store *store, struct bucket_group *group,
    uint32_t bucket, struct bucket_capture **capture, struct diag *diag);
void buckets_capture_end(struct bucket_capture *capture);
struct bucket_change {
    oid_t relation; /* 0: an idempotency key */
    struct slice key;
};
/* Those whose writers have ended: a snapshot taken afterwards sees what became of them. *open: how
 * many others there are. A row may come several times. */
enum err buckets_captured(struct bucket_capture *capture, struct arena *arena,
    struct bucket_change **changes, size_t *count, size_t *open, struct diag *diag);

/* Either way. Cheap if it changed no state. */
void buckets_transaction_ended(struct catalog_store *store, struct txn *txn);

/* All states that are stored, as this snapshot sees them. */
enum err buckets_each(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    struct arena *arena,
    enum err (*each)(
        void *arg, const char *group, uint32_t bucket, const struct bucket_record *record),
    void *arg, struct diag *diag);
/* What is stored nowhere: ELSEWHERE in a cluster, OWNED outside of one. */
enum bucket_state buckets_default(const struct catalog_store *store);

#endif /* SQL_CATALOG_BUCKETS_H */
