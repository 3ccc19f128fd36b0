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
    edit->relation.derived = edit->derived;
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
    edit->derived =
        copy_more(ddl->arena, relation->derived, relation->derived_count, sizeof *edit->derived);
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

uint16_t
ddl__edit_add_derived(struct ddl *ddl, struct ddl__edit *edit, const struct derived *derived)
{
    uint16_t count = edit->relation.derived_count++;
    edit->derived = copy_more(ddl->arena, edit->derived, count, sizeof *edit->derived);
    edit->derived[count] = *derived;
    connect(edit);
    return count;
}

static bool
derived_in_use(const struct ddl__edit *edit, uint16_t number)
{
    for (uint16_t i = 0; i < edit->relation.index_count; i++) {
        const struct index *index = &edit->indexes[i];
        bool uses = index->partial == number + 1;
        for (uint16_t c = 0; c < index->column_count; c++) {
            uses |= index->columns[c] == INDEX_DERIVED + number;
        }
        if (uses) {
            return true;
        }
    }
    return false;
}

/* Those behind it move up. */
static void
remove_derived(struct ddl__edit *edit, uint16_t at)
{
    uint16_t after = (uint16_t)(--edit->relation.derived_count - at);
    memmove(&edit->derived[at], &edit->derived[at + 1], after * sizeof *edit->derived);
    for (uint16_t i = 0; i < edit->relation.index_count; i++) {
        struct index *index = &edit->indexes[i];
        index->partial = (uint16_t)(index->partial - (index->partial > at + 1));
        for (uint16_t c = 0; c < index->column_count; c++) {
            index->columns[c] =
                (uint16_t)(index->columns[c] - (index->columns[c] > INDEX_DERIVED + at));
        }
    }
}

void
ddl__edit_remove_index(struct ddl__edit *edit, uint16_t at)
{
    ASSERT(at < edit->relation.index_count);
    uint16_t after = (uint16_t)(--edit->relation.index_count - at);
    memmove(&edit->indexes[at], &edit->indexes[at + 1], after * sizeof *edit->indexes);
    for (uint16_t i = edit->relation.derived_count; i-- > 0;) {
        if (!derived_in_use(edit, i)) {
            remove_derived(edit, i);
        }
    }
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
        struct index *index = &edit->indexes[i];
        if (index->primary) {
            index->tree = edit->relation.tree;
        }
        if (index->included_count > 0) {
            oid_t included[INDEX_COLUMNS_MAX];
            for (uint16_t c = 0; c < index->included_count; c++) {
                included[c] = types[index->columns[index->column_count + c]];
            }
            index->included_layout = row_layout_new(ddl->arena, included, index->included_count);
        }
    }
}

enum err
ddl__edit_store(struct ddl *ddl, struct ddl__edit *edit)
{
    connect(edit);
    struct ddl_context *context = ddl->context;
    TRY(ddl__check_sharding(ddl, &edit->relation));
    const struct relation *relation = &edit->relation;
    if (catalog_relation_by_oid(ddl->catalog, relation->oid) == NULL) {
        TRY(ddl__default_grants(ddl, CATALOG_CLASS_RELATION, relation->oid, relation->owner,
            relation->schema, relation->kind == RELATION_SEQUENCE ? 'S' : 'r'));
    }
    TRY(catalog_relation_put(ddl->task, context->store, context->txn, relation, ddl->diag));
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
