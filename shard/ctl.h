/*
 * shard/ctl.h - the control store: a few small documents that all processes of a cluster agree on.
 *
 * Shard map, moves of buckets and who drives them, versions of the schema. Kept in etcd, or for one
 * machine in a directory; both behave alike:
 *
 *   - A document has a key, a text, and a version that grows with each change of anything in the
 *     store; version 0 says that there is no such document.
 *   - ctl_txn compares versions and writes, all at once or nothing, and is durable when it returns.
 *   - A lease is kept alive or ends by itself, and the documents bound to it go with it. Whoever
 *     was paused may not know that his has ended: so nobody may rely on a lease alone. What must
 *     not be done by two is guarded by a comparison of versions in ctl_txn (a fencing token), or by
 *     the shard itself.
 *   - A watch is a hint: it may come late. The shard's refusal is the truth.
 *
 * An error says that nothing is known about what happened, but for ERR_OK with *done == false: then
 * a comparison has failed and nothing was written. Reads are linearizable.
 *
 * One struct ctl may be used by one task at a time; open one per task.
 */
#ifndef SHARD_CTL_H
#define SHARD_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "world/world.h"

struct ctl;

/* "etcd://HOST:PORT[,HOST:PORT..]/PREFIX" or "file:DIRECTORY". Does not connect yet; the directory
 * is made if it is missing. */
enum err ctl_open(struct task *task, const char *where, struct ctl **ctl, struct diag *diag);
void ctl_close(struct task *task, struct ctl *ctl);

struct ctl_entry {
    const char *key;   /* without the prefix */
    const char *value; /* NULL: there is none */
    uint64_t version;  /* of its last change; 0: there is none */
    uint64_t lease;    /* bound to this; 0: to none */
};

/* In the arena. */
enum err ctl_get(struct task *task, struct ctl *ctl, const char *key, struct arena *arena,
    struct ctl_entry *entry, struct diag *diag);
/* All whose keys begin so, in the keys' order, at one moment. */
enum err ctl_list(struct task *task, struct ctl *ctl, const char *prefix, struct arena *arena,
    struct ctl_entry **entries, size_t *count, struct diag *diag);

struct ctl_compare {
    const char *key;
    uint64_t version; /* 0: there must be none */
};
struct ctl_write {
    const char *key;
    const char *value; /* NULL: remove it */
    uint64_t lease;    /* 0: none */
};
/* *version: that of the documents written, if *done. */
enum err ctl_txn(struct task *task, struct ctl *ctl, const struct ctl_compare *compares,
    size_t compare_count, const struct ctl_write *writes, size_t write_count, bool *done,
    uint64_t *version, struct diag *diag);
/* One document, if its version still is *version, which then becomes the new one. */
enum err ctl_cas(struct task *task, struct ctl *ctl, const char *key, const char *value,
    uint64_t *version, bool *done, struct diag *diag);

enum err ctl_lease_grant(
    struct task *task, struct ctl *ctl, unsigned ttl_s, uint64_t *lease, struct diag *diag);
/* *alive == false: it has ended, and what was bound to it is gone. */
enum err ctl_lease_keepalive(
    struct task *task, struct ctl *ctl, uint64_t lease, bool *alive, struct diag *diag);
enum err ctl_lease_revoke(struct task *task, struct ctl *ctl, uint64_t lease, struct diag *diag);

/* Sleeps until the newest version among these documents, or their number, differs from what
 * *version says (as left by the last call; 0 at first), or the clock reaches deadline_us. */
enum err ctl_watch(struct task *task, struct ctl *ctl, const char *prefix, int64_t deadline_us,
    uint64_t *version, bool *changed, struct diag *diag);

#endif /* SHARD_CTL_H */
