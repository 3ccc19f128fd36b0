/*
 * sql/exec/deferred.c - what is left for COMMIT: checks of deferred constraints, SET CONSTRAINTS,
 * and what ROLLBACK TO makes of both.
 */
#include "base/mem.h"
#include "sql/exec/foreign.h"

enum {
    NOT_DONE = UINT32_MAX,
};

/* What SET CONSTRAINTS has said. */
struct modes {
    int all; /* 1 deferred, 0 immediate, -1: nothing */
    struct {
        oid_t key;
        bool deferred;
    } * single;
    uint32_t single_count;
};

struct mark {
    struct foreign_event *last;
    struct modes modes;
};

struct exec_deferred {
    struct arena memory; /* of events */
    struct foreign_event *first, *last;
    struct modes modes;
    struct mark *marks; /* one per savepoint */
    uint32_t mark_count, mark_capacity;
    uint32_t pending;
};

struct exec_deferred *
exec_deferred_new(void)
{
    struct exec_deferred *deferred = mem_zalloc(sizeof *deferred);
    arena_create(&deferred->memory, "deferred checks");
    deferred->modes.all = -1;
    return deferred;
}

static void
modes_clear(struct modes *modes)
{
    mem_free(modes->single);
    *modes = (struct modes){.all = -1};
}

static struct modes
modes_copy(const struct modes *modes)
{
    struct modes copy = *modes;
    size_t size = modes->single_count * sizeof *modes->single;
    copy.single = size == 0 ? NULL : mem_alloc(size);
    if (size > 0) {
        memcpy(copy.single, modes->single, size);
    }
    return copy;
}

static void
drop_marks(struct exec_deferred *deferred, uint32_t keep)
{
    while (deferred->mark_count > keep) {
        modes_clear(&deferred->marks[--deferred->mark_count].modes);
    }
}

void
exec_deferred_forget(struct exec_deferred *deferred)
{
    if (deferred->first != NULL) {
        arena_reset(&deferred->memory);
    }
    deferred->first = deferred->last = NULL;
    deferred->pending = 0;
    drop_marks(deferred, 0);
    modes_clear(&deferred->modes);
}

void
exec_deferred_delete(struct exec_deferred *deferred)
{
    exec_deferred_forget(deferred);
    mem_free(deferred->marks);
    arena_destroy(&deferred->memory);
    mem_free(deferred);
}

bool
deferred__is(const struct exec_deferred *deferred, const struct foreign_key *key)
{
    if (deferred == NULL || !key->deferrable) {
        return false;
    }
    const struct modes *modes = &deferred->modes;
    for (uint32_t i = 0; i < modes->single_count; i++) {
        if (modes->single[i].key == key->oid) {
            return modes->single[i].deferred;
        }
    }
    return modes->all >= 0 ? modes->all == 1 : key->initially_deferred;
}

struct foreign_event *
deferred__add(struct exec_deferred *deferred, const struct foreign_key *key, enum foreign_kind kind)
{
    struct foreign_event *event = arena_alloc(&deferred->memory, sizeof *event);
    event->arena = &deferred->memory;
    event->key = key;
    event->key_oid = key->oid;
    event->table = kind == FOREIGN_EVENT_CHECK ? key->table->oid : key->referenced;
    event->kind = kind;
    event->done_depth = NOT_DONE;
    if (deferred->last == NULL) {
        deferred->first = event;
    } else {
        deferred->last->next = event;
    }
    deferred->last = event;
    deferred->pending++;
    return event;
}

bool
exec_deferred_pending(const struct exec_deferred *deferred)
{
    return deferred->pending > 0;
}

bool
exec_deferred_pending_of(const struct exec_deferred *deferred, oid_t table)
{
    for (const struct foreign_event *event = deferred->first;
         event != NULL && deferred->pending > 0; event = event->next) {
        if (event->done_depth == NOT_DONE && event->table == table) {
            return true;
        }
    }
    return false;
}

/* ---- savepoints -------------------------------------------------------------------------------
 */

void
exec_deferred_savepoint(struct exec_deferred *deferred)
{
    if (deferred->mark_count == deferred->mark_capacity) {
        deferred->mark_capacity = deferred->mark_capacity == 0 ? 8 : deferred->mark_capacity * 2;
        deferred->marks =
            mem_realloc(deferred->marks, deferred->mark_capacity * sizeof *deferred->marks);
    }
    deferred->marks[deferred->mark_count++] =
        (struct mark){.last = deferred->last, .modes = modes_copy(&deferred->modes)};
}

void
exec_deferred_release(struct exec_deferred *deferred, uint32_t depth)
{
    drop_marks(deferred, depth - 1);
    for (struct foreign_event *event = deferred->first; event != NULL; event = event->next) {
        if (event->done_depth != NOT_DONE && event->done_depth > depth - 1) {
            event->done_depth = depth - 1;
        }
    }
}

void
exec_deferred_rollback_to(struct exec_deferred *deferred, uint32_t depth)
{
    const struct mark *mark = &deferred->marks[depth - 1];
    deferred->last = mark->last;
    if (mark->last == NULL) {
        deferred->first = NULL;
    } else {
        mark->last->next = NULL;
    }
    modes_clear(&deferred->modes);
    deferred->modes = modes_copy(&mark->modes);
    drop_marks(deferred, depth);
    deferred->pending = 0;
    for (struct foreign_event *event = deferred->first; event != NULL; event = event->next) {
        if (event->done_depth != NOT_DONE && event->done_depth >= depth) {
            event->done_depth = NOT_DONE; /* what it rested on is undone */
        }
        deferred->pending += event->done_depth == NOT_DONE;
    }
}

/* ---- working off -------------------------------------------------------------------------------
 */

static void
done(struct exec_deferred *deferred, struct foreign_event *event)
{
    event->done_depth = deferred->mark_count;
    deferred->pending--;
}

static enum err
run_pending(struct task *task, struct foreign_work *work, struct exec_deferred *deferred, bool all)
{
    work->acted = true; /* rows are looked at as they are now */
    for (struct foreign_event *event = deferred->first; event != NULL; event = event->next) {
        if (event->done_depth != NOT_DONE) {
            continue;
        }
        const struct foreign_key *key = catalog_foreign_key(work->context.catalog, event->key_oid);
        if (key != NULL && !all && deferred__is(deferred, key)) {
            continue;
        }
        event->key = key;
        if (key != NULL) { /* else it has been dropped */
            TRY(foreign__process(task, work, event));
            TRY(foreign__finish(task, work));
        }
        done(deferred, event);
    }
    return ERR_OK;
}

enum err
exec_deferred_run(struct task *task, const struct exec_context *context, bool all)
{
    struct foreign_work *work = foreign__new(context);
    enum err err = run_pending(task, work, context->deferred, all);
    foreign__destroy(work);
    return err;
}

void
exec_deferred_tables(const struct exec_deferred *deferred, const struct catalog *catalog,
    void (*each)(void *arg, const struct relation *relation), void *arg)
{
    for (const struct foreign_event *event = deferred->first; event != NULL; event = event->next) {
        const struct foreign_key *key =
            event->done_depth == NOT_DONE ? catalog_foreign_key(catalog, event->key_oid) : NULL;
        if (key != NULL) {
            each(arg, key->table);
            each(arg, key->referenced_table);
        }
    }
}

void
exec_deferred_set_all(struct exec_deferred *deferred, bool is_deferred)
{
    modes_clear(&deferred->modes);
    deferred->modes.all = is_deferred;
}

void
exec_deferred_set(struct exec_deferred *deferred, oid_t key, bool is_deferred)
{
    struct modes *modes = &deferred->modes;
    for (uint32_t i = 0; i < modes->single_count; i++) {
        if (modes->single[i].key == key) {
            modes->single[i].deferred = is_deferred;
            return;
        }
    }
    modes->single = mem_realloc(modes->single, (modes->single_count + 1) * sizeof *modes->single);
    modes->single[modes->single_count].key = key;
    modes->single[modes->single_count++].deferred = is_deferred;
}
