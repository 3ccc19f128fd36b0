/* shard/ctl_internal.h - what a control store is made of; contracts are ctl.h's. */
#ifndef SHARD_CTL_INTERNAL_H
#define SHARD_CTL_INTERNAL_H

#include "shard/ctl.h"

struct ctl_backend {
    void (*close)(struct task *task, void *state);
    /* All whose keys begin so, or (`exact`) the one of that key. */
    enum err (*list)(struct task *task, void *state, const char *prefix, bool exact,
        struct arena *arena, struct ctl_entry **entries, size_t *count, struct diag *diag);
    enum err (*txn)(struct task *task, void *state, const struct ctl_compare *compares,
        size_t compare_count, const struct ctl_write *writes, size_t write_count, bool *done,
        uint64_t *version, struct diag *diag);
    enum err (*lease_grant)(
        struct task *task, void *state, unsigned ttl_s, uint64_t *lease, struct diag *diag);
    enum err (*lease_keepalive)(
        struct task *task, void *state, uint64_t lease, bool *alive, struct diag *diag);
    enum err (*lease_revoke)(struct task *task, void *state, uint64_t lease, struct diag *diag);
    /* NULL: ctl.c looks again and again. */
    enum err (*watch)(struct task *task, void *state, const char *prefix, int64_t deadline_us,
        uint64_t *version, bool *changed, struct diag *diag);
};

/* What ctl_watch tells of documents: one that went changes their number only. */
static inline uint64_t
ctl__watch_version(uint64_t newest, uint64_t count)
{
    return newest << 16 | (count & UINT16_MAX);
}

extern const struct ctl_backend ctl__etcd, ctl__file;

enum err ctl__etcd_open(const char *where, void **state, struct diag *diag);
enum err ctl__file_open(struct task *task, const char *directory, void **state, struct diag *diag);

#endif /* SHARD_CTL_INTERNAL_H */
