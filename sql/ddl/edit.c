/* sql/ddl/edit.c - a relation being made or changed, in memory. */
#include "sql/ddl/ddl_internal.h"

#include "base/assert.h"

/* A copy of the array with room for one more, zeroed. */
static void *
copy_more(struct arena *arena, const void *items, size_t count, size_t size)
{
    void *copy = arena_array(arena, count + 1, size);
    if (count > 0) {
        memcpy(copy, items, count * size);
    }
    return copy;
}

static void
connect(struct ddl__edit *edit)
{
    edit->relation.columns = edit->columns;
    edit->relation.indexes = edit->indexes;
    edit->relation.checks = edit->checks;
    edit->relation.foreign = edit->foreign;
    edit->relation.primary = NULL;
    for (uint16_t i = 0; i < edit->relation.index_count; i++) {
        if (edit->indexes[i].primary) {
            edit->relation.primary = &edit->indexes[i];
        }
    }
}

struct ddl__edit *
ddl__edit_new(struct ddl *ddl, const struct relation *from)
{
    struct ddl__edit *edit = arena_alloc(ddl->arena, sizeof *edit);
    if (from != NULL) {
        edit->relation = *from;
    }
    const struct relation *relation = &edit->relation;
    edit->columns =
        copy_more(ddl->arena, relation->columns, relation->column_count, sizeof *edit->columns);
    edit->indexes =
        copy_more(ddl->arena, relation->indexes, relation->index_count, sizeof *edit->indexes);
    edit->checks =
        copy_more(ddl->arena, relation->checks, relation->check_count, sizeof *edit->checks);
    edit->foreign =
        copy_more(ddl->arena, relation->foreign, relation->foreign_count, sizeof *edit->foreign);
    connect(edit);
    return edit;
}

struct foreign_key *
ddl__edit_add_foreign(struct ddl *ddl, struct ddl__edit *edit)
{
    uint16_t count = edit->relation.foreign_count++;
    edit->foreign = copy_more(ddl->arena, edit->foreign, count, sizeof *edit->foreign);
    connect(edit);
    return &edit->foreign[count];
}

void
ddl__edit_remove_foreign(struct ddl__edit *edit, uint16_t at)
{
    ASSERT(at < edit->relation.foreign_count);
    uint16_t after = (uint16_t)(--edit->relation.foreign_count - at);
    memmove(&edit->foreign[at], &edit->foreign[at + 1], after * sizeof *edit->foreign);
    connect(edit);
}

struct column *
ddl__edit_add_column(struct ddl *ddl, struct ddl__edit *edit)
{
    uint16_t count = edit->relation.column_count++;
    edit->columns = copy_more(ddl->arena, edit->columns, count, sizeof *edit->columns);
    connect(edit);
    return &edit->columns[count];
}

struct index *
ddl__edit_add_index(struct ddl *ddl, struct ddl__edit *edit)
{
    uint16_t count = edit->relation.index_count++;
    edit->indexes = copy_more(ddl->arena, edit->indexes, count, sizeof *edit->indexes);
    connect(edit);
    return &edit->indexes[count];
}

struct check *
ddl__edit_add_check(struct ddl *ddl, struct ddl__edit *edit)
{
    uint16_t count = edit->relation.check_count++;
    edit->checks = copy_more(ddl->arena, edit->checks, count, sizeof *edit->checks);
    connect(edit);
    return &edit->checks[count];
}

void
ddl__edit_remove_index(struct ddl__edit *edit, uint16_t at)
{
    ASSERT(at < edit->relation.index_count);
    uint16_t after = (uint16_t)(--edit->relation.index_count - at);
    memmove(&edit->indexes[at], &edit->indexes[at + 1], after * sizeof *edit->indexes);
    connect(edit);
}

void
ddl__edit_remove_check(struct ddl__edit *edit, uint16_t at)
{
    ASSERT(at < edit->relation.check_count);
    uint16_t after = (uint16_t)(--edit->relation.check_count - at);
    memmove(&edit->checks[at], &edit->checks[at + 1], after * sizeof *edit->checks);
    connect(edit);
}

void
ddl__edit_complete(struct ddl *ddl, struct ddl__edit *edit)
{
    connect(edit);
    uint16_t count = edit->relation.column_count;
    oid_t *types = arena_array(ddl->arena, count, sizeof *types);
    for (uint16_t i = 0; i < count; i++) {
        types[i] = edit->columns[i].type;
    }
    edit->relation.layout = row_layout_new(ddl->arena, types, count);
    for (uint16_t i = 0; i < edit->relation.index_count; i++) {
        if (edit->indexes[i].primary) {
            edit->indexes[i].tree = edit->relation.tree;
        }
    }
}

enum err
ddl__edit_store(struct ddl *ddl, struct ddl__edit *edit)
{
    connect(edit);
    struct ddl_context *context = ddl->context;
    TRY(catalog_relation_put(ddl->task, context->store, context->txn, &edit->relation, ddl->diag));
    return ddl__changed(ddl);
}

bool
ddl__constraint_exists(const struct relation *relation, const char *name)
{
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (index->constraint && index->name != NULL && strcmp(index->name, name) == 0) {
            return true;
        }
    }
    for (uint16_t i = 0; i < relation->check_count; i++) {
        if (relation->checks[i].name != NULL && strcmp(relation->checks[i].name, name) == 0) {
            return true;
        }
    }
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        if (relation->foreign[i].name != NULL && strcmp(relation->foreign[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}
