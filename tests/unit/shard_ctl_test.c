/*
 * tests/unit/shard_ctl_test.c - the control store keeps what ctl.h promises, in both forms.
 *
 * The file form always; etcd if it is the argument (tests/cluster/control.py starts it). With
 * "watch" it says when documents under w/ change, so many times, and then only that it has closed.
 *
 *     unit_shard_ctl_test [etcd://127.0.0.1:2379/test/ [watch TIMES]]
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shard/ctl.h"
#include "tests/unit/world_run.h"

static const char *where;

static void
promises(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    struct arena arena;
    struct ctl *ctl, *other;
    struct ctl_entry entry, *entries;
    size_t count;
    bool done, alive, changed;
    uint64_t version = 0, stale, lease, seen = 0;
    arena_create(&arena, "test");
    ASSERT(ctl_open(task, where, &ctl, &diag) == ERR_OK);
    ASSERT(ctl_open(task, where, &other, &diag) == ERR_OK);
    const struct ctl_write clean[] = {{.key = "a"}, {.key = "b/1"}, {.key = "b/2"}, {.key = "c"}};
    ASSERT(ctl_txn(task, ctl, NULL, 0, clean, 4, &done, &stale, &diag) == ERR_OK);

    ASSERT(ctl_get(task, ctl, "a", &arena, &entry, &diag) == ERR_OK);
    ASSERT(entry.value == NULL);
    ASSERT(entry.version == 0);

    /* Only one of two creates it; the other may try again with what it sees. */
    ASSERT(ctl_cas(task, ctl, "a", "one", &version, &done, &diag) == ERR_OK);
    ASSERT(done);
    stale = 0;
    ASSERT(ctl_cas(task, other, "a", "two", &stale, &done, &diag) == ERR_OK);
    ASSERT(!done);
    ASSERT(ctl_get(task, other, "a", &arena, &entry, &diag) == ERR_OK);
    ASSERT(strcmp(entry.value, "one") == 0);
    ASSERT(entry.version == version);
    stale = version;
    ASSERT(ctl_cas(task, other, "a", "\xc3\xa4 \"2\"", &version, &done, &diag) == ERR_OK);
    ASSERT(done);
    ASSERT(version > stale);
    ASSERT(ctl_cas(task, ctl, "a", "late", &stale, &done, &diag) == ERR_OK);
    ASSERT(!done);

    /* Several at once or none. */
    const struct ctl_write writes[] = {
        {.key = "b/2", .value = "x"}, {.key = "b/1", .value = "y"}, {.key = "a"}};
    const struct ctl_compare wrong[] = {{"a", version}, {"c", 77}};
    const struct ctl_compare right[] = {{"a", version}, {"c", 0}};
    ASSERT(ctl_txn(task, ctl, wrong, 2, writes, 3, &done, &stale, &diag) == ERR_OK);
    ASSERT(!done);
    ASSERT(ctl_watch(task, ctl, "b/", 0, &seen, &changed, &diag) == ERR_OK);
    ASSERT(ctl_txn(task, ctl, right, 2, writes, 3, &done, &stale, &diag) == ERR_OK);
    ASSERT(done);
    ASSERT(ctl_list(task, other, "b/", &arena, &entries, &count, &diag) == ERR_OK);
    ASSERT(count == 2);
    ASSERT(strcmp(entries[0].key, "b/1") == 0);
    ASSERT(strcmp(entries[1].value, "x") == 0);
    ASSERT(entries[0].version == stale);
    ASSERT(ctl_get(task, ctl, "a", &arena, &entry, &diag) == ERR_OK);
    ASSERT(entry.value == NULL);
    ASSERT(ctl_watch(task, ctl, "b/", 0, &seen, &changed, &diag) == ERR_OK);
    ASSERT(changed);
    ASSERT(ctl_watch(task, ctl, "b/", 0, &seen, &changed, &diag) == ERR_OK);
    ASSERT(!changed);

    /* A lease, and what goes with it. */
    ASSERT(ctl_lease_grant(task, ctl, 1, &lease, &diag) == ERR_OK);
    const struct ctl_write leased = {.key = "c", .value = "mine", .lease = lease};
    ASSERT(ctl_txn(task, ctl, NULL, 0, &leased, 1, &done, &stale, &diag) == ERR_OK);
    ASSERT(ctl_lease_keepalive(task, ctl, lease, &alive, &diag) == ERR_OK);
    ASSERT(alive);
    ASSERT(ctl_get(task, ctl, "c", &arena, &entry, &diag) == ERR_OK);
    ASSERT(entry.lease == lease);
    for (int i = 0; i < 100 && entry.value != NULL; i++) {
        task_sleep(task, 100 * 1000);
        ASSERT(ctl_get(task, ctl, "c", &arena, &entry, &diag) == ERR_OK);
    }
    ASSERT(entry.value == NULL);
    ASSERT(ctl_lease_keepalive(task, ctl, lease, &alive, &diag) == ERR_OK);
    ASSERT(!alive);
    ASSERT(ctl_lease_grant(task, ctl, 60, &lease, &diag) == ERR_OK);
    const struct ctl_write again = {.key = "c", .value = "mine", .lease = lease};
    ASSERT(ctl_txn(task, ctl, NULL, 0, &again, 1, &done, &stale, &diag) == ERR_OK);
    ASSERT(ctl_lease_revoke(task, ctl, lease, &diag) == ERR_OK);
    ASSERT(ctl_lease_revoke(task, ctl, lease, &diag) == ERR_OK);
    ASSERT(ctl_get(task, ctl, "c", &arena, &entry, &diag) == ERR_OK);
    ASSERT(entry.value == NULL);
    ctl_close(task, ctl);
    ctl_close(task, other);
    arena_destroy(&arena);
}

static void
no_store(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    struct arena arena;
    struct ctl *ctl;
    struct ctl_entry entry;
    arena_create(&arena, "test");
    ASSERT(ctl_open(task, "zk://x", &ctl, &diag) == ERR_INVALID_PARAMETER_VALUE);
    ASSERT(ctl_open(task, "etcd://", &ctl, &diag) == ERR_INVALID_PARAMETER_VALUE);
    ASSERT(ctl_open(task, "etcd://127.0.0.1:1,127.0.0.1:2/p/", &ctl, &diag) == ERR_OK);
    ASSERT(ctl_get(task, ctl, "a", &arena, &entry, &diag) == ERR_CONNECTION_FAILURE);
    ctl_close(task, ctl);
    arena_destroy(&arena);
}

static void
watch(struct task *task, void *arg)
{
    const int *times = arg;
    struct diag diag;
    struct ctl *ctl;
    uint64_t seen = 0;
    ASSERT(ctl_open(task, where, &ctl, &diag) == ERR_OK);
    for (int found = 0; found < *times;) {
        bool changed = false;
        int64_t until = world_clock_us(task_world(task)) + 60 * 1000 * 1000;
        if (ctl_watch(task, ctl, "w/", until, &seen, &changed, &diag) != ERR_OK) {
            (void)printf("error %s\n", diag.message);
            task_sleep(task, 50 * 1000);
        } else if (changed) {
            (void)printf("changed\n");
            found++;
        }
        (void)fflush(stdout);
    }
    ctl_close(task, ctl);
    (void)printf("closed\n");
    (void)fflush(stdout);
    task_sleep(task, 2 * 1000 * 1000);
}

int
main(int argc, char **argv)
{
    char directory[64];
    (void)snprintf(directory, sizeof directory, "file:/tmp/tusk_ctl_%d", (int)getpid());
    where = argc > 1 ? argv[1] : directory;
    if (argc > 3 && strcmp(argv[2], "watch") == 0) {
        int times = atoi(argv[3]);
        run_os(1, watch, &times);
        return 0;
    }
    run_os(2, promises, NULL);
    run_os(1, no_store, NULL);
    where = "file:ctl"; /* in the simulator */
    TEST(run_sim(1, promises, NULL));
    return 0;
}
