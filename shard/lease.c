/* shard/lease.c - see lease.h. */
#include "shard/lease.h"

#include <stdatomic.h>

#include <cjson/cJSON.h>

#include "base/mem.h"

enum {
    US_PER_S = 1000 * 1000,
    STOP_POLL_US = 1000,
};

struct shard_lease {
    struct world *world;
    char *where, *key, *value;
    unsigned ttl_s;
    _Atomic int64_t until_us;
    _Atomic uint64_t epoch;
    _Atomic bool stopping, may_end, runs;
    struct task *keeper; /* set before `runs` */
    /* the keeper's */
    struct ctl *ctl;
    uint64_t id; /* 0: none */
    bool fenced; /* another has taken it from us */
    bool told;   /* of the trouble */
};

bool
shard_lease_holds(const struct shard_lease *lease)
{
    return world_clock_us(lease->world) < atomic_load(&lease->until_us);
}

uint64_t
shard_lease_epoch(const struct shard_lease *lease)
{
    return atomic_load(&lease->epoch);
}

int64_t
shard_lease_left_us(const struct shard_lease *lease)
{
    int64_t left = atomic_load(&lease->until_us) - world_clock_us(lease->world);
    return left > 0 ? left : 0;
}

/* LE1 */
static void
holds_from(struct shard_lease *lease, int64_t asked_us)
{
    if (!shard_lease_holds(lease)) {
        world_log(lease->world, "node lease taken: epoch %llu",
            (unsigned long long)atomic_load(&lease->epoch));
    }
    atomic_store(&lease->until_us, asked_us + (int64_t)lease->ttl_s * US_PER_S / 10 * 9);
    lease->told = false;
}

static enum err
take(struct task *task, struct shard_lease *lease, struct arena *arena, struct diag *diag)
{
    struct ctl_entry entry;
    int64_t asked_us = world_clock_us(lease->world);
    bool done = false;
    uint64_t version = 0;
    TRY(ctl_get(task, lease->ctl, lease->key, arena, &entry, diag));
    if (entry.value != NULL && lease->fenced) { /* LE2 */
        return diag_set(diag, ERR_NODE_LEASE, "another process is this node now");
    }
    TRY(ctl_lease_grant(task, lease->ctl, lease->ttl_s, &lease->id, diag));
    const struct ctl_compare compare = {lease->key, entry.version};
    const struct ctl_write write = {.key = lease->key, .value = lease->value, .lease = lease->id};
    enum err err = ctl_txn(task, lease->ctl, &compare, 1, &write, 1, &done, &version, diag);
    if (err != ERR_OK || !done) {
        struct diag ignored;
        (void)(ctl_lease_revoke(task, lease->ctl, lease->id, &ignored) == ERR_OK);
        lease->id = 0;
        return err != ERR_OK ? err : diag_set(diag, ERR_NODE_LEASE, "another took it meanwhile");
    }
    lease->fenced = false;
    atomic_store(&lease->epoch, version);
    holds_from(lease, asked_us);
    return ERR_OK;
}

static enum err
keep(struct task *task, struct shard_lease *lease, struct arena *arena, struct diag *diag)
{
    struct ctl_entry entry;
    int64_t asked_us = world_clock_us(lease->world);
    bool alive = false;
    TRY(ctl_lease_keepalive(task, lease->ctl, lease->id, &alive, diag));
    if (!alive) {
        lease->id = 0;
        return take(task, lease, arena, diag);
    }
    TRY(ctl_get(task, lease->ctl, lease->key, arena, &entry, diag));
    if (entry.version != atomic_load(&lease->epoch)) {
        atomic_store(&lease->until_us, 0);
        lease->fenced = true;
        lease->id = 0;
        return diag_set(diag, ERR_NODE_LEASE, "another process is this node now");
    }
    holds_from(lease, asked_us);
    return ERR_OK;
}

static void
keeper_main(struct task *task, void *arg)
{
    struct shard_lease *lease = arg;
    struct arena arena;
    struct diag diag;
    lease->keeper = task;
    atomic_store(&lease->runs, true);
    arena_create(&arena, "lease");
    while (!atomic_load(&lease->stopping)) {
        enum err err =
            lease->ctl != NULL ? ERR_OK : ctl_open(task, lease->where, &lease->ctl, &diag);
        if (err == ERR_OK) {
            err = lease->id == 0 ? take(task, lease, &arena, &diag)
                                 : keep(task, lease, &arena, &diag);
        }
        if (err != ERR_OK && !lease->told) {
            world_log(lease->world, "the node lease is not renewed: %s", diag.message);
            lease->told = true;
        }
        arena_reset(&arena);
        int64_t pause_us = (int64_t)lease->ttl_s * US_PER_S / (err == ERR_OK ? 3 : 10);
        task_park(task, world_clock_us(lease->world) + pause_us);
    }
    if (lease->ctl != NULL) {
        if (lease->id != 0) {
            (void)(ctl_lease_revoke(task, lease->ctl, lease->id, &diag) == ERR_OK);
        }
        ctl_close(task, lease->ctl);
    }
    arena_destroy(&arena);
    /* Whoever stops us wakes us and must be done with that before this struct task goes. */
    while (!atomic_load(&lease->may_end)) {
        task_park(task, world_clock_us(lease->world) + STOP_POLL_US);
    }
    atomic_store(&lease->runs, false);
}

enum err
shard_lease_start(struct task *task, const struct shard_lease_options *options,
    struct shard_lease **lease_out, struct diag *diag)
{
    struct shard_lease *lease = mem_zalloc(sizeof *lease);
    struct buffer key = {0};
    buffer_printf(&key, SHARD_NODES_PREFIX "%s", options->node);
    buffer_add_u8(&key, 0);
    lease->world = task_world(task);
    lease->where = mem_strdup(options->where);
    lease->key = (char *)key.data;
    lease->ttl_s = options->ttl_s;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "node", options->node);
    lease->value = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    enum err err =
        task_spawn(lease->world, (int)task_worker(task), "node lease", keeper_main, lease, diag);
    if (err != ERR_OK) {
        shard_lease_stop(task, lease);
        return err;
    }
    while (!atomic_load(&lease->runs)) {
        task_park(task, world_clock_us(lease->world) + STOP_POLL_US);
    }
    *lease_out = lease;
    return ERR_OK;
}

void
shard_lease_stop(struct task *task, struct shard_lease *lease)
{
    atomic_store(&lease->stopping, true);
    if (lease->keeper != NULL) {
        task_unpark(lease->keeper);
    }
    atomic_store(&lease->may_end, true);
    while (atomic_load(&lease->runs)) {
        task_park(task, world_clock_us(lease->world) + STOP_POLL_US);
    }
    cJSON_free(lease->value);
    mem_free(lease->key);
    mem_free(lease->where);
    mem_free(lease);
}
