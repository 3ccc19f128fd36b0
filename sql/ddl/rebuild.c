/*
 * sql/ddl/rebuild.c - an index that the log only names, built again by recovery.
 *
 * The table's tree is as it was when the index was built: its lock kept writers out until the
 * commit that recovery is at.
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/catalog/edit.h"
#include "sql/ddl/build.h"
#include "sql/ddl/ddl.h"

enum {
    REBUILD_MEMORY = 64 * 1024 * 1024,
    PATH_SIZE = 4096,
};

struct rebuilding {
    struct txn_rebuild *rebuild;
    const struct relation *relation;
};

static enum err
append(struct task *task, void *arg, const struct btree_entry *entries, size_t count,
    struct diag *diag)
{
    const struct rebuilding *rebuilding = arg;
    return txn_rebuild_append(task, rebuilding->rebuild, entries, count, diag);
}

static enum err
duplicate(struct task *task, void *arg, const struct btree_entry *entry, struct diag *diag)
{
    (void)task;
    (void)entry;
    const struct rebuilding *rebuilding = arg;
    return diag_set(diag, ERR_CORRUPT,
        "a unique index on table \"%s\" cannot be built again: two rows have the same key",
        rebuilding->relation->name);
}

static enum err
add_rows(struct task *task, struct index_builder *builder, struct txn_rebuild *rebuild,
    struct diag *diag)
{
    const struct relation *relation = builder->relation;
    uint16_t *wanted = mem_array((size_t)relation->column_count + 1, sizeof *wanted);
    struct datum *values = mem_array((size_t)relation->column_count + 1, sizeof *values);
    size_t count = index_builder_columns(relation, builder->index, wanted);
    enum err err = txn_rebuild_open(task, rebuild, relation->tree, diag);
    while (err == ERR_OK) {
        struct slice key;
        struct slice value;
        bool found = false;
        err = txn_rebuild_next(task, rebuild, &key, &value, &found, diag);
        if (err != ERR_OK || !found) {
            break;
        }
        err = row_decode(relation->layout, value, wanted, count, values, diag);
        if (err == ERR_OK) {
            err = index_builder_add(task, builder, values, key);
        }
        (void)task_breathe(task, NULL);
    }
    mem_free(wanted);
    mem_free(values);
    return err;
}

enum err
ddl_rebuild_index(struct task *task, void *arg, struct txn_rebuild *rebuild,
    struct slice definition, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "rebuild");
    struct relation relation;
    enum err err = catalog_relation_unpack(&arena, definition, &relation, diag);
    if (err == ERR_OK && relation.index_count != 1) {
        err = diag_set(diag, ERR_CORRUPT, "an index in the log is malformed");
    }
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/tmp", (const char *)arg);
    if (err == ERR_OK) {
        err = world_temp_directory(task, path, diag);
    }
    if (err == ERR_OK) {
        world_log(task_world(task), "recovery: index \"%s\" on table \"%s\" is built again",
            relation.indexes[0].name, relation.name);
        struct spill_space space = {.directory = path, .limit = UINT64_MAX};
        struct rebuilding rebuilding = {.rebuild = rebuild, .relation = &relation};
        const struct index_sink sink = {
            .arg = &rebuilding, .append = append, .duplicate = duplicate};
        struct index_builder builder;
        index_builder_create(
            &builder, &relation, &relation.indexes[0], &space, REBUILD_MEMORY, diag);
        err = add_rows(task, &builder, rebuild, diag);
        if (err == ERR_OK) {
            err = index_builder_finish(task, &builder, &sink);
        }
        index_builder_destroy(task, &builder);
    }
    arena_destroy(&arena);
    return err;
}
