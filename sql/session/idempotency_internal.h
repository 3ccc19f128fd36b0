/* sql/session/idempotency_internal.h - between idempotency.c and idempotency_moves.c, and what
 * moves.c does with keys. */
#ifndef SQL_SESSION_IDEMPOTENCY_INTERNAL_H
#define SQL_SESSION_IDEMPOTENCY_INTERNAL_H

#include "sql/catalog/buckets.h"
#include "sql/catalog/trees.h"
#include "sql/session/session_internal.h"

/* ---- idempotency.c ------------------------------------------------------------------------------
 */

int64_t idempotency__ttl_us(struct sql_engine *engine);
bool idempotency__is_over(struct sql_session *session, int64_t committed);
/* What a key of the tree of keys begins with. */
void idempotency__add_owner(struct buffer *to, oid_t database, oid_t role);
/* False: damaged, or a claim without an outcome. */
bool idempotency__committed_at(struct slice value, int64_t *committed);
/* The value without what only this node understands (I6). False: it is damaged. */
bool idempotency__add_portable(struct slice value, struct arena *arena, struct buffer *to);
bool idempotency__same_request(struct slice a, struct slice b, struct arena *arena);

/* ---- idempotency_moves.c ------------------------------------------------------------------------
 */

struct keyed_bucket {
    const char *group;
    uint32_t bucket;
};

/* How many buckets the route names; they stand in the arena. */
uint32_t idempotency__routed(
    const struct shard_route *route, struct arena *arena, struct keyed_bucket **buckets);
/* I5. Before the outcome is written; with an empty key, before it is answered from. */
enum err idempotency__check_buckets(struct task *task, struct sql_session *session,
    struct slice tree_key, const struct keyed_bucket *buckets, uint32_t count, struct diag *diag);
/* The key's line in the order of ages, and its entry at each bucket. */
enum err idempotency__add_buckets(struct task *task, struct sql_session *session,
    struct slice tree_key, int64_t committed, const struct keyed_bucket *buckets, uint32_t count,
    struct diag *diag);
/* The entries at the buckets in the line's value, unless they are a later transaction's. */
enum err idempotency__remove_buckets(struct task *task, struct txn *txn, struct slice tree_key,
    int64_t committed, struct slice line, struct arena *arena, struct diag *diag);

/* The keys of a bucket that is moved, at either side. */
struct key_move {
    struct sql_session *session;
    const struct catalog *catalog;
    const char *group;
    uint32_t bucket;
    bool sent_all;      /* of the copy */
    struct buffer last; /* entry that was looked at */
    uint64_t keys, sum; /* sent, or stored */
};

/* The next ones behind `last`, each by `put`, until there are about so many bytes. */
enum err idempotency__send(struct task *task, struct key_move *move, size_t size_max,
    void (*put)(struct buffer *to, struct slice record), struct buffer *to, struct diag *diag);
/* One, if it is there and its time is not over. */
enum err idempotency__send_key(struct task *task, struct key_move *move, struct slice tree_key,
    void (*put)(struct buffer *to, struct slice record), struct buffer *to, struct diag *diag);
enum err idempotency__receive(
    struct task *task, struct key_move *move, struct slice record, struct diag *diag);
/* The bucket goes: its entries go, the keys stay for who asks here still. */
enum err idempotency__leave(struct task *task, struct key_move *move, struct diag *diag);

#endif /* SQL_SESSION_IDEMPOTENCY_INTERNAL_H */
