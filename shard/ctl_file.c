/*
 * shard/ctl_file.c - the control store in a directory, for the processes of one machine.
 *
 * One file, store.json, read whole, changed, and replaced whole (durably, by rename) under the lock
 * of a second file, which the system releases when a process dies. Nobody waits long: an operation
 * is a few milliseconds.
 *
 *     {"version":12,"lease":3,
 *      "leases":[{"id":3,"ttl":5,"until":1690000000000000}],
 *      "entries":[{"key":"map","value":"..","version":12,"lease":0}]}
 *
 * `until` is wall clock, which the processes of one machine share.
 */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/mem.h"
#include "shard/ctl_internal.h"

enum {
    SIZE_MAX_BYTES = 64 * 1024 * 1024,
    RETRY_US = 2 * 1000,
    PATIENCE_US = 10 * 1000 * 1000,
};

struct store {
    char *directory, *lock_path, *path;
};

/* ---- the file -------------------------------------------------------------------------------- */

static char *
join(const char *directory, const char *name)
{
    struct buffer path = {0};
    buffer_printf(&path, "%s/%s", directory, name);
    buffer_add_u8(&path, 0);
    return (char *)path.data;
}

enum err
ctl__file_open(struct task *task, const char *directory, void **state, struct diag *diag)
{
    TRY(world_mkdir(task, directory, diag));
    struct store *store = mem_zalloc(sizeof *store);
    store->directory = mem_strdup(directory);
    store->lock_path = join(directory, "lock");
    store->path = join(directory, "store.json");
    *state = store;
    return ERR_OK;
}

static void
close_store(struct task *task, void *state)
{
    (void)task;
    struct store *store = state;
    mem_free(store->directory);
    mem_free(store->lock_path);
    mem_free(store->path);
    mem_free(store);
}

static enum err
take_lock(struct task *task, struct store *store, struct world_file **lock, struct diag *diag)
{
    struct world *world = task_world(task);
    int64_t deadline = world_clock_us(world) + PATIENCE_US;
    TRY(world_file_open(task, store->lock_path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, lock, diag));
    for (;;) {
        enum err err = world_file_lock(task, *lock, diag);
        if (err == ERR_OK) {
            return ERR_OK;
        }
        if (err != ERR_OBJECT_IN_USE || world_clock_us(world) > deadline) {
            world_file_close(task, *lock);
            return err;
        }
        task_sleep(task, RETRY_US);
    }
}

static enum err
damaged(const struct store *store, struct diag *diag)
{
    return diag_set(diag, ERR_CORRUPT, "control store \"%s\" is damaged", store->path);
}

static double
number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static uint64_t
count_of(const cJSON *object, const char *name)
{
    double value = number(object, name);
    return value < 0 || value > 9e15 ? 0 : (uint64_t)value;
}

static cJSON *
find(const cJSON *array, const char *name, uint64_t id)
{
    cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (count_of(item, name) == id) {
            return item;
        }
    }
    return NULL;
}

/* What is bound to a lease that has ended goes with it. */
static bool
expire(cJSON *root, int64_t now_us)
{
    bool changed = false;
    cJSON *leases = cJSON_GetObjectItemCaseSensitive(root, "leases");
    cJSON *entries = cJSON_GetObjectItemCaseSensitive(root, "entries");
    for (int i = cJSON_GetArraySize(leases) - 1; i >= 0; i--) {
        if (number(cJSON_GetArrayItem(leases, i), "until") < (double)now_us) {
            cJSON_DeleteItemFromArray(leases, i);
            changed = true;
        }
    }
    for (int i = cJSON_GetArraySize(entries) - 1; i >= 0; i--) {
        uint64_t lease = count_of(cJSON_GetArrayItem(entries, i), "lease");
        if (lease != 0 && find(leases, "id", lease) == NULL) {
            cJSON_DeleteItemFromArray(entries, i);
            changed = true;
        }
    }
    return changed;
}

/* Under the lock. */
static enum err
load(struct task *task, struct store *store, cJSON **root, struct diag *diag)
{
    if (!world_file_exists(task, store->path)) {
        *root = cJSON_CreateObject();
        cJSON_AddNumberToObject(*root, "version", 0);
        cJSON_AddNumberToObject(*root, "lease", 0);
        cJSON_AddArrayToObject(*root, "leases");
        cJSON_AddArrayToObject(*root, "entries");
        return ERR_OK;
    }
    struct buffer text = {0};
    enum err err = world_file_read_all(task, store->path, SIZE_MAX_BYTES, &text, diag);
    if (err == ERR_OK) {
        buffer_add_u8(&text, 0);
        *root = cJSON_Parse((const char *)text.data);
        if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*root, "leases")) ||
            !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*root, "entries"))) {
            cJSON_Delete(*root);
            err = damaged(store, diag);
        }
    }
    buffer_destroy(&text);
    TRY(err);
    (void)expire(*root, world_wall_us(task_world(task)));
    return ERR_OK;
}

static enum err
save(struct task *task, struct store *store, cJSON *root, struct diag *diag)
{
    char *text = cJSON_PrintUnformatted(root);
    enum err err =
        world_file_replace(task, store->directory, "store.json", text, strlen(text), diag);
    cJSON_free(text);
    return err;
}

static void
set_number(cJSON *object, const char *name, double value)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL) {
        cJSON_AddNumberToObject(object, name, value);
    } else {
        cJSON_SetNumberValue(item, value);
    }
}

static uint64_t
count_up(cJSON *root, const char *name)
{
    uint64_t next = count_of(root, name) + 1;
    set_number(root, name, (double)next);
    return next;
}

/* ---- documents ------------------------------------------------------------------------------- */

static int
entry_order(const void *a, const void *b)
{
    return strcmp(((const struct ctl_entry *)a)->key, ((const struct ctl_entry *)b)->key);
}

static void
copy_entries(const cJSON *root, const char *prefix, bool exact, struct arena *arena,
    struct ctl_entry **entries, size_t *count)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(root, "entries");
    *entries = arena_array(arena, (size_t)cJSON_GetArraySize(array), sizeof **entries);
    *count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "key"));
        const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "value"));
        if (key == NULL || value == NULL ||
            (exact ? strcmp(key, prefix) : strncmp(key, prefix, strlen(prefix))) != 0) {
            continue;
        }
        (*entries)[(*count)++] = (struct ctl_entry){
            .key = arena_strdup(arena, key),
            .value = arena_strdup(arena, value),
            .version = count_of(item, "version"),
            .lease = count_of(item, "lease"),
        };
    }
    if (*count > 1) {
        qsort(*entries, *count, sizeof **entries, entry_order);
    }
}

static enum err
list(struct task *task, void *state, const char *prefix, bool exact, struct arena *arena,
    struct ctl_entry **entries, size_t *count, struct diag *diag)
{
    struct store *store = state;
    struct world_file *lock;
    cJSON *root = NULL;
    TRY(take_lock(task, store, &lock, diag));
    enum err err = load(task, store, &root, diag);
    world_file_close(task, lock);
    TRY(err);
    copy_entries(root, prefix, exact, arena, entries, count);
    cJSON_Delete(root);
    return ERR_OK;
}

static int
index_of(const cJSON *entries, const char *key)
{
    int at = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, entries)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "key"));
        if (name != NULL && strcmp(name, key) == 0) {
            return at;
        }
        at++;
    }
    return -1;
}

static enum err
write_entry(cJSON *root, const struct ctl_write *write, uint64_t version, struct diag *diag)
{
    cJSON *entries = cJSON_GetObjectItemCaseSensitive(root, "entries");
    int at = index_of(entries, write->key);
    if (at >= 0) {
        cJSON_DeleteItemFromArray(entries, at);
    }
    if (write->value == NULL) {
        return ERR_OK;
    }
    if (write->lease != 0 &&
        find(cJSON_GetObjectItemCaseSensitive(root, "leases"), "id", write->lease) == NULL) {
        return diag_set(diag, ERR_OBJECT_STATE, "the lease has ended");
    }
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "key", write->key);
    cJSON_AddStringToObject(entry, "value", write->value);
    cJSON_AddNumberToObject(entry, "version", (double)version);
    cJSON_AddNumberToObject(entry, "lease", (double)write->lease);
    cJSON_AddItemToArray(entries, entry);
    return ERR_OK;
}

struct change {
    const struct ctl_compare *compares;
    const struct ctl_write *writes;
    size_t compare_count, write_count;
    bool done;
    uint64_t version;
};

static enum err
apply_change(cJSON *root, struct change *change, struct diag *diag)
{
    const cJSON *entries = cJSON_GetObjectItemCaseSensitive(root, "entries");
    change->done = false;
    for (size_t i = 0; i < change->compare_count; i++) {
        int at = index_of(entries, change->compares[i].key);
        uint64_t now = at < 0 ? 0 : count_of(cJSON_GetArrayItem(entries, at), "version");
        if (now != change->compares[i].version) {
            return ERR_OK;
        }
    }
    change->version = count_up(root, "version");
    for (size_t i = 0; i < change->write_count; i++) {
        TRY(write_entry(root, &change->writes[i], change->version, diag));
    }
    change->done = true;
    return ERR_OK;
}

static enum err
txn(struct task *task, void *state, const struct ctl_compare *compares, size_t compare_count,
    const struct ctl_write *writes, size_t write_count, bool *done, uint64_t *version,
    struct diag *diag)
{
    struct store *store = state;
    struct world_file *lock;
    cJSON *root = NULL;
    struct change change = {compares, writes, compare_count, write_count, false, 0};
    TRY(take_lock(task, store, &lock, diag));
    enum err err = load(task, store, &root, diag);
    if (err == ERR_OK) {
        err = apply_change(root, &change, diag);
        if (err == ERR_OK && change.done && write_count > 0) {
            err = save(task, store, root, diag);
        }
        cJSON_Delete(root);
    }
    world_file_close(task, lock);
    *done = change.done;
    *version = change.version;
    return err;
}

/* ---- leases ---------------------------------------------------------------------------------- */

/* ttl_s != 0: a new one. Else: renewed, or (revoke) ended; *lease is 0 afterwards if there is none.
 */
static enum err
change_lease(struct task *task, struct store *store, unsigned ttl_s, bool revoke, uint64_t *lease,
    struct diag *diag)
{
    struct world_file *lock;
    cJSON *root = NULL;
    TRY(take_lock(task, store, &lock, diag));
    enum err err = load(task, store, &root, diag);
    if (err == ERR_OK) {
        double now = (double)world_wall_us(task_world(task));
        cJSON *leases = cJSON_GetObjectItemCaseSensitive(root, "leases");
        cJSON *item = NULL;
        if (ttl_s != 0) {
            item = cJSON_CreateObject();
            *lease = count_up(root, "lease");
            set_number(item, "id", (double)*lease);
            set_number(item, "ttl", ttl_s);
            cJSON_AddItemToArray(leases, item);
        } else {
            item = find(leases, "id", *lease);
        }
        if (item != NULL) {
            set_number(item, "until", revoke ? 0 : now + number(item, "ttl") * 1e6);
            (void)expire(root, (int64_t)now);
            err = save(task, store, root, diag);
        } else {
            *lease = 0;
        }
        cJSON_Delete(root);
    }
    world_file_close(task, lock);
    return err;
}

static enum err
lease_grant(struct task *task, void *state, unsigned ttl_s, uint64_t *lease, struct diag *diag)
{
    return change_lease(task, state, ttl_s == 0 ? 1 : ttl_s, false, lease, diag);
}

static enum err
lease_keepalive(struct task *task, void *state, uint64_t lease, bool *alive, struct diag *diag)
{
    enum err err = change_lease(task, state, 0, false, &lease, diag);
    *alive = lease != 0;
    return err;
}

static enum err
lease_revoke(struct task *task, void *state, uint64_t lease, struct diag *diag)
{
    return change_lease(task, state, 0, true, &lease, diag);
}

const struct ctl_backend ctl__file = {
    .close = close_store,
    .list = list,
    .txn = txn,
    .lease_grant = lease_grant,
    .lease_keepalive = lease_keepalive,
    .lease_revoke = lease_revoke,
};
