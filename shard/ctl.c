/* shard/ctl.c - see ctl.h: which store it is, and what is the same for both. */
#include "shard/ctl.h"

#include <string.h>

#include "base/mem.h"
#include "shard/ctl_internal.h"

enum {
    WATCH_PERIOD_US = 200 * 1000,
};

struct ctl {
    const struct ctl_backend *backend;
    void *state;
};

enum err
ctl_open(struct task *task, const char *where, struct ctl **ctl_out, struct diag *diag)
{
    struct ctl *ctl = mem_zalloc(sizeof *ctl);
    enum err err;
    if (strncmp(where, "etcd://", 7) == 0) {
        ctl->backend = &ctl__etcd;
        err = ctl__etcd_open(where + 7, &ctl->state, diag);
    } else if (strncmp(where, "file:", 5) == 0) {
        ctl->backend = &ctl__file;
        err = ctl__file_open(task, where + 5, &ctl->state, diag);
    } else {
        err = diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid control store: \"%s\"", where);
        diag_hint(diag, "It is etcd://HOST:PORT[,HOST:PORT..]/PREFIX or file:DIRECTORY.");
    }
    if (err != ERR_OK) {
        mem_free(ctl);
        return err;
    }
    *ctl_out = ctl;
    return ERR_OK;
}

void
ctl_close(struct task *task, struct ctl *ctl)
{
    if (ctl != NULL) {
        ctl->backend->close(task, ctl->state);
        mem_free(ctl);
    }
}

enum err
ctl_get(struct task *task, struct ctl *ctl, const char *key, struct arena *arena,
    struct ctl_entry *entry, struct diag *diag)
{
    struct ctl_entry *entries;
    size_t count;
    TRY(ctl->backend->list(task, ctl->state, key, true, arena, &entries, &count, diag));
    *entry = count > 0 ? entries[0] : (struct ctl_entry){.key = arena_strdup(arena, key)};
    return ERR_OK;
}

enum err
ctl_list(struct task *task, struct ctl *ctl, const char *prefix, struct arena *arena,
    struct ctl_entry **entries, size_t *count, struct diag *diag)
{
    return ctl->backend->list(task, ctl->state, prefix, false, arena, entries, count, diag);
}

enum err
ctl_txn(struct task *task, struct ctl *ctl, const struct ctl_compare *compares,
    size_t compare_count, const struct ctl_write *writes, size_t write_count, bool *done,
    uint64_t *version, struct diag *diag)
{
    return ctl->backend->txn(
        task, ctl->state, compares, compare_count, writes, write_count, done, version, diag);
}

enum err
ctl_cas(struct task *task, struct ctl *ctl, const char *key, const char *value, uint64_t *version,
    bool *done, struct diag *diag)
{
    struct ctl_compare compare = {.key = key, .version = *version};
    struct ctl_write write = {.key = key, .value = value};
    uint64_t now = 0;
    TRY(ctl_txn(task, ctl, &compare, 1, &write, 1, done, &now, diag));
    *version = *done ? now : *version;
    return ERR_OK;
}

enum err
ctl_lease_grant(
    struct task *task, struct ctl *ctl, unsigned ttl_s, uint64_t *lease, struct diag *diag)
{
    return ctl->backend->lease_grant(task, ctl->state, ttl_s, lease, diag);
}

enum err
ctl_lease_keepalive(
    struct task *task, struct ctl *ctl, uint64_t lease, bool *alive, struct diag *diag)
{
    return ctl->backend->lease_keepalive(task, ctl->state, lease, alive, diag);
}

enum err
ctl_lease_revoke(struct task *task, struct ctl *ctl, uint64_t lease, struct diag *diag)
{
    return ctl->backend->lease_revoke(task, ctl->state, lease, diag);
}

enum err
ctl_watch(struct task *task, struct ctl *ctl, const char *prefix, int64_t deadline_us,
    uint64_t *version, bool *changed, struct diag *diag)
{
    struct world *world = task_world(task);
    if (ctl->backend->watch != NULL) {
        return ctl->backend->watch(task, ctl->state, prefix, deadline_us, version, changed, diag);
    }
    for (;;) {
        struct arena arena;
        struct ctl_entry *entries;
        size_t count;
        arena_create(&arena, "watch");
        enum err err = ctl_list(task, ctl, prefix, &arena, &entries, &count, diag);
        uint64_t newest = 0;
        for (size_t i = 0; err == ERR_OK && i < count; i++) {
            newest = entries[i].version > newest ? entries[i].version : newest;
        }
        arena_destroy(&arena);
        TRY(err);
        newest = ctl__watch_version(newest, count);
        *changed = newest != *version;
        *version = newest;
        int64_t now = world_clock_us(world);
        if (*changed || now >= deadline_us) {
            return ERR_OK;
        }
        int64_t until = now + WATCH_PERIOD_US < deadline_us ? now + WATCH_PERIOD_US : deadline_us;
        while (world_clock_us(world) < until) {
            TRY(task_interrupted(task, diag));
            task_park(task, until);
        }
    }
}
