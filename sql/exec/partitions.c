/* sql/exec/partitions.c - batches of rows, partitioned by hash. */
#include "base/assert.h"
#include "base/mem.h"
#include "sql/exec/spill.h"

enum {
    FAN_MIN = 4,
    FAN_BITS = 6, /* at most, and so many bits of the hash are used at each level */
    LEVELS = 6,   /* the bits below are those by which hash tables find their buckets */
};

void
partitions_create(struct partitions *partitions, const struct spill_context *context)
{
    *partitions = (struct partitions){0};
    spill_create(&partitions->spill, context);
}

static void
batch_destroy(struct spill_batch *batch)
{
    run_destroy(&batch->runs[0]);
    run_destroy(&batch->runs[1]);
}

void
partitions_clear(struct task *task, struct partitions *partitions)
{
    for (uint32_t i = 0; i < partitions->fan; i++) {
        batch_destroy(&partitions->parts[i]);
    }
    mem_free(partitions->parts);
    partitions->parts = NULL;
    partitions->fan = 0;
    while (partitions->pending_count > 0) {
        batch_destroy(&partitions->pending[--partitions->pending_count]);
    }
    batch_destroy(&partitions->batch);
    partitions->batch.level = 0;
    partitions->from_runs = false;
    run_reader_destroy(&partitions->readers[0]);
    run_reader_destroy(&partitions->readers[1]);
    spill_destroy(task, &partitions->spill);
}

void
partitions_destroy(struct task *task, struct partitions *partitions)
{
    if (partitions->spill.context == NULL) {
        return; /* never created */
    }
    partitions_clear(task, partitions);
    mem_free(partitions->pending);
    partitions->pending = NULL;
    partitions->pending_capacity = 0;
}

bool
partitions_possible(const struct partitions *partitions)
{
    return partitions->fan == 0 && partitions->batch.level + 1 < LEVELS &&
           spill_possible(partitions->spill.context);
}

void
partitions_split(struct partitions *partitions, uint64_t bytes)
{
    ASSERT(partitions_possible(partitions));
    const struct spill_context *context = partitions->spill.context;
    if (partitions->from_runs) {
        /* In memory a row is about twice as large. */
        bytes = 2 * (partitions->batch.runs[0].byte_count + partitions->batch.runs[1].byte_count);
    }
    uint32_t most = spill_fan_out(context);
    uint32_t fan = FAN_MIN;
    while (
        2 * fan <= most && fan < 1U << FAN_BITS && (bytes + bytes / 4) / fan > context->work_mem) {
        fan *= 2;
    }
    partitions->fan = fan;
    partitions->parts = mem_array(fan, sizeof *partitions->parts);
    for (uint32_t i = 0; i < fan; i++) {
        partitions->parts[i].level = partitions->batch.level + 1;
    }
}

uint32_t
partitions_part(const struct partitions *partitions, uint64_t hash)
{
    uint32_t shift = 64 - FAN_BITS * (partitions->batch.level + 1);
    return (uint32_t)(hash >> shift) & (partitions->fan - 1);
}

enum err
partitions_put(struct task *task, struct partitions *partitions, int side, uint32_t part,
    const struct datum *row, const uint32_t *regs, struct row_form form)
{
    ASSERT(part < partitions->fan);
    return run_add(task, &partitions->spill, &partitions->parts[part].runs[side], row, regs, form);
}

enum err
partitions_read(struct task *task, struct partitions *partitions, int side, struct row_form form,
    struct datum *row, bool *found)
{
    ASSERT(partitions->from_runs);
    TRY(task_breathe(task, partitions->spill.context->diag));
    return run_next(task, &partitions->spill, &partitions->readers[side], form, row, found);
}

static void
forget(struct partitions *partitions, struct spill_batch *batch)
{
    for (int side = 0; side < 2; side++) {
        run_clear(&partitions->spill, &batch->runs[side]);
    }
    batch_destroy(batch);
}

/* The parts wait for their turn. */
static enum err
add_pending(struct task *task, struct partitions *partitions, bool second_alone)
{
    for (uint32_t i = partitions->fan; i > 0; i--) {
        struct spill_batch *part = &partitions->parts[i - 1];
        if (part->runs[0].row_count + (second_alone ? part->runs[1].row_count : 0) == 0) {
            forget(partitions, part);
            continue;
        }
        for (int side = 0; side < 2; side++) {
            TRY(run_flush(task, &partitions->spill, &part->runs[side]));
        }
        if (partitions->pending_count == partitions->pending_capacity) {
            partitions->pending_capacity =
                partitions->pending_capacity == 0 ? 16 : partitions->pending_capacity * 2;
            partitions->pending = mem_realloc(
                partitions->pending, partitions->pending_capacity * sizeof *partitions->pending);
        }
        partitions->pending[partitions->pending_count++] = *part;
        *part = (struct spill_batch){0};
    }
    mem_free(partitions->parts);
    partitions->parts = NULL;
    partitions->fan = 0;
    return ERR_OK;
}

enum err
partitions_next(struct task *task, struct partitions *partitions, bool second_alone, bool *more)
{
    TRY(add_pending(task, partitions, second_alone));
    forget(partitions, &partitions->batch);
    *more = partitions->pending_count > 0;
    if (*more) {
        partitions->from_runs = true;
        partitions->batch = partitions->pending[--partitions->pending_count];
        for (int side = 0; side < 2; side++) {
            run_read(&partitions->readers[side], &partitions->batch.runs[side], true);
        }
    }
    return ERR_OK;
}
