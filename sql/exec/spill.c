/*
 * sql/exec/spill.c - runs of rows in a temporary file, and stores.
 *
 * A block, as it stands in the file at a multiple of UNIT:
 *
 *     the rows, LZ4 block format, or as they are if that is not smaller
 *
 * Its place, sizes and checksum are in the run's list, in memory: nobody else ever reads the file.
 *
 * A row:
 *
 *     OFFSET  SIZE  DESCRIPTION
 *          0     4  bytes of the whole row
 *          4   n/8  a bit for each column that is null
 *                   then, for each that is not: 8 bytes of the value, or 4 bytes of size and its
 *                   bytes
 */
#include "sql/exec/spill.h"

#include <lz4.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sql/exec/exec_internal.h"

enum {
    UNIT = 1024,
    FREE_CLASSES = 256, /* free extents of 1, 2, .. units */
    BLOCK_SIZE_MIN = 8 * 1024,
    BLOCK_SIZE_MAX = 256 * 1024,
    BLOCKS_PER_MEMORY = 128,
    FAN_OUT_MIN = 6,
    ROW_SIZE_MAX = 1 << 30,
    ACCELERATION = 4, /* of LZ4: twice as fast as 1, and a few percent larger */
};

struct spill_block {
    uint32_t unit;
    uint32_t stored, raw; /* sizes; equal: not compressed */
    uint32_t checksum;
    uint64_t end; /* rows of the run up to here */
};

/* Extents of one size: their first units. */
struct spill_free {
    uint32_t *units;
    uint32_t count, capacity;
};

/* ---- the file -------------------------------------------------------------------------------- */

void
spill_create(struct spill *spill, const struct spill_context *context)
{
    uint64_t size = context->work_mem / BLOCKS_PER_MEMORY;
    size = size < BLOCK_SIZE_MIN ? BLOCK_SIZE_MIN : size;
    *spill = (struct spill){
        .context = context,
        .block_size = size > BLOCK_SIZE_MAX ? BLOCK_SIZE_MAX : (uint32_t)size,
    };
}

void
spill_destroy(struct task *task, struct spill *spill)
{
    if (spill->file == NULL) {
        return;
    }
    world_file_close(task, spill->file);
    spill->context->space->used -= (uint64_t)spill->unit_count * UNIT;
    for (int i = 0; i < FREE_CLASSES; i++) {
        mem_free(spill->free[i].units);
    }
    mem_free(spill->free);
    mem_free(spill->packed);
    mem_free(spill->compressor);
    spill_create(spill, spill->context);
}

uint32_t
spill_fan_out(const struct spill_context *context)
{
    struct spill spill;
    spill_create(&spill, context);
    uint64_t count = context->work_mem / 2 / spill.block_size;
    return count < FAN_OUT_MIN ? FAN_OUT_MIN : count > 1024 ? 1024 : (uint32_t)count;
}

bool
spill_possible(const struct spill_context *context)
{
    return context->space != NULL && context->space->directory != NULL;
}

static enum err
open_file(struct task *task, struct spill *spill)
{
    ASSERT(spill_possible(spill->context));
    struct buffer path = {0};
    buffer_printf(&path, "%s/rows", spill->context->space->directory);
    buffer_add_u8(&path, 0);
    enum err err = world_file_open(
        task, (const char *)path.data, WORLD_FILE_TEMPORARY, &spill->file, spill->context->diag);
    buffer_destroy(&path);
    TRY(err);
    spill->free = mem_zalloc(FREE_CLASSES * sizeof *spill->free);
    spill->compressor = mem_alloc((size_t)LZ4_sizeofState());
    return ERR_OK;
}

static void
free_extent(struct spill *spill, uint32_t unit, uint32_t count)
{
    while (count > 0) {
        uint32_t some = count < FREE_CLASSES ? count : FREE_CLASSES;
        struct spill_free *class = &spill->free[some - 1];
        if (class->count == class->capacity) {
            class->capacity = class->capacity == 0 ? 16 : class->capacity * 2;
            class->units = mem_realloc(class->units, class->capacity * sizeof *class->units);
        }
        class->units[class->count++] = unit;
        unit += some;
        count -= some;
    }
}

static enum err
take_extent(struct spill *spill, uint32_t count, uint32_t *unit)
{
    for (uint32_t size = count; size <= FREE_CLASSES; size++) {
        struct spill_free *class = &spill->free[size - 1];
        if (class->count > 0) {
            *unit = class->units[--class->count];
            free_extent(spill, *unit + count, size - count);
            return ERR_OK;
        }
    }
    struct spill_space *space = spill->context->space;
    uint64_t bytes = (uint64_t)count * UNIT;
    if (bytes > space->limit || space->used > space->limit - bytes ||
        spill->unit_count > UINT32_MAX - count) {
        return diag_set(spill->context->diag, ERR_CONFIGURATION_LIMIT,
            "temporary file size exceeds temp_file_limit (%llukB)",
            (unsigned long long)space->limit / 1024);
    }
    space->used += bytes;
    space->used_max = space->used > space->used_max ? space->used : space->used_max;
    *unit = spill->unit_count;
    spill->unit_count += count;
    return ERR_OK;
}

static uint32_t
units_of(size_t size)
{
    return (uint32_t)((size + UNIT - 1) / UNIT);
}

/* ---- writing a run --------------------------------------------------------------------------- */

static struct slice
compress(struct spill *spill, const struct buffer *tail)
{
    struct slice as_it_is = slice_of(tail->data, tail->size);
    size_t room = tail->size - tail->size / 8;
    if (tail->size > LZ4_MAX_INPUT_SIZE) {
        return as_it_is;
    }
    if (spill->packed_capacity < room) {
        mem_free(spill->packed);
        spill->packed = mem_alloc(room);
        spill->packed_capacity = room;
    }
    int packed = LZ4_compress_fast_extState(spill->compressor, (const char *)tail->data,
        (char *)spill->packed, (int)tail->size, (int)room, ACCELERATION);
    return packed > 0 ? slice_of(spill->packed, (size_t)packed) : as_it_is;
}

static enum err
write_tail(struct task *task, struct spill *spill, struct run *run)
{
    if (spill->file == NULL) {
        TRY(open_file(task, spill));
    }
    struct slice bytes = compress(spill, &run->tail);
    struct spill_block block = {.stored = (uint32_t)bytes.size,
        .raw = (uint32_t)run->tail.size,
        .end = run->row_count,
        .checksum = (uint32_t)hash64(bytes.data, bytes.size, 0)};
    TRY(take_extent(spill, units_of(bytes.size), &block.unit));
    TRY(world_file_write(task, spill->file, (uint64_t)block.unit * UNIT, bytes.data, bytes.size,
        spill->context->diag));
    if (run->block_count == run->block_capacity) {
        run->block_capacity = run->block_capacity == 0 ? 8 : run->block_capacity * 2;
        run->blocks = mem_realloc(run->blocks, run->block_capacity * sizeof *run->blocks);
    }
    run->blocks[run->block_count++] = block;
    run->tail.size = 0;
    return ERR_OK;
}

enum err
run_add(struct task *task, struct spill *spill, struct run *run, const struct datum *row,
    const uint32_t *regs, struct row_form form)
{
    size_t size = 4 + (form.count + 7) / 8;
    for (uint32_t i = 0; i < form.count; i++) {
        const struct datum *value = &row[regs == NULL ? i : regs[i]];
        size += value->null ? 0 : form.by_reference[i] ? 4 + (size_t)value->size : 8;
    }
    if (size > ROW_SIZE_MAX) {
        return diag_set(spill->context->diag, ERR_PROGRAM_LIMIT, "row is too big: size %zu", size);
    }
    if (run->tail.size > 0 && run->tail.size + size > spill->block_size) {
        TRY(write_tail(task, spill, run));
    }
    if (run->tail.capacity == 0) {
        (void)buffer_reserve(&run->tail, spill->block_size);
    }
    uint8_t *at = buffer_extend(&run->tail, size);
    uint8_t *nulls = at + 4;
    store_le32(at, (uint32_t)size);
    at = nulls + (form.count + 7) / 8;
    memset(nulls, 0, (size_t)(at - nulls));
    for (uint32_t i = 0; i < form.count; i++) {
        const struct datum *value = &row[regs == NULL ? i : regs[i]];
        if (value->null) {
            nulls[i / 8] |= (uint8_t)(1U << i % 8);
        } else if (form.by_reference[i]) {
            store_le32(at, value->size);
            if (value->size > 0) {
                memcpy(at + 4, value->p, value->size);
            }
            at += 4 + value->size;
        } else {
            store_le64(at, (uint64_t)value->i);
            at += 8;
        }
    }
    run->row_count++;
    run->byte_count += size;
    return ERR_OK;
}

enum err
run_flush(struct task *task, struct spill *spill, struct run *run)
{
    if (run->tail.size > 0) {
        TRY(write_tail(task, spill, run));
    }
    buffer_destroy(&run->tail);
    return ERR_OK;
}

void
run_clear(struct spill *spill, struct run *run)
{
    for (uint32_t i = 0; i < run->block_count; i++) {
        if (run->blocks[i].stored > 0) {
            free_extent(spill, run->blocks[i].unit, units_of(run->blocks[i].stored));
        }
    }
    run->block_count = 0;
    run->tail.size = 0;
    run->row_count = 0;
    run->byte_count = 0;
}

void
run_destroy(struct run *run)
{
    mem_free(run->blocks);
    buffer_destroy(&run->tail);
    *run = (struct run){0};
}

/* ---- reading it ------------------------------------------------------------------------------ */

void
run_read(struct run_reader *reader, struct run *run, bool last)
{
    reader->run = run;
    reader->block = 0;
    reader->loaded = 0;
    reader->at = 0;
    reader->last = last;
}

void
run_reader_destroy(struct run_reader *reader)
{
    mem_free(reader->bytes);
    *reader = (struct run_reader){0};
}

static enum err
damaged(const struct spill *spill)
{
    return diag_set(spill->context->diag, ERR_IO,
        "could not read file \"%s\": it is not what was written", world_file_path(spill->file));
}

static void
reserve(uint8_t **bytes, size_t *capacity, size_t size)
{
    if (*capacity < size) {
        mem_free(*bytes);
        *bytes = mem_alloc(size);
        *capacity = size;
    }
}

static enum err
load_block(struct task *task, struct spill *spill, struct run_reader *reader)
{
    struct spill_block *block = &reader->run->blocks[reader->block];
    bool is_packed = block->stored != block->raw;
    reserve(&reader->bytes, &reader->capacity, block->raw);
    if (is_packed) {
        reserve(&spill->packed, &spill->packed_capacity, block->stored);
    }
    uint8_t *stored = is_packed ? spill->packed : reader->bytes;
    size_t size = 0;
    TRY(world_file_read(task, spill->file, (uint64_t)block->unit * UNIT, stored, block->stored,
        &size, spill->context->diag));
    if (size != block->stored || (uint32_t)hash64(stored, size, 0) != block->checksum) {
        return damaged(spill);
    }
    if (is_packed && LZ4_decompress_safe((const char *)stored, (char *)reader->bytes, (int)size,
                         (int)block->raw) != (int)block->raw) {
        return damaged(spill);
    }
    reader->loaded = reader->block + 1;
    if (reader->last) {
        free_extent(spill, block->unit, units_of(block->stored));
        block->stored = 0;
    }
    return ERR_OK;
}

static void
decode(const uint8_t *at, struct row_form form, struct datum *row)
{
    const uint8_t *nulls = at + 4;
    at = nulls + (form.count + 7) / 8;
    for (uint32_t i = 0; i < form.count; i++) {
        if ((nulls[i / 8] >> i % 8 & 1) != 0) {
            row[i] = datum_null();
        } else if (form.by_reference[i]) {
            row[i] = datum_bytes(at + 4, load_le32(at));
            at += 4 + row[i].size;
        } else {
            row[i] = datum_int((int64_t)load_le64(at));
            at += 8;
        }
    }
}

enum err
run_next(struct task *task, struct spill *spill, struct run_reader *reader, struct row_form form,
    struct datum *row, bool *found)
{
    const struct run *run = reader->run;
    *found = false;
    for (;;) {
        bool in_tail = reader->block >= run->block_count;
        size_t size = in_tail ? run->tail.size : run->blocks[reader->block].raw;
        if (reader->at < size) {
            break;
        }
        if (in_tail) {
            return ERR_OK;
        }
        reader->block++;
        reader->at = 0;
    }
    const uint8_t *bytes = run->tail.data;
    if (reader->block < run->block_count) {
        if (reader->loaded != reader->block + 1) {
            TRY(load_block(task, spill, reader));
        }
        bytes = reader->bytes;
    }
    bytes += reader->at;
    reader->at += load_le32(bytes);
    decode(bytes, form, row);
    *found = true;
    return ERR_OK;
}

/* ---- stores ---------------------------------------------------------------------------------- */

void
store_create(struct store *store, const struct spill_context *context, struct row_form form)
{
    *store = (struct store){.context = context, .form = form};
    arena_create(&store->memory, "kept rows");
    spill_create(&store->spill, context);
}

void
store_destroy(struct task *task, struct store *store)
{
    if (store->context == NULL) {
        return; /* never created */
    }
    arena_destroy(&store->memory);
    mem_free(store->rows);
    mem_free(store->row);
    run_reader_destroy(&store->reader);
    run_destroy(&store->run);
    spill_destroy(task, &store->spill);
    store->context = NULL;
}

void
store_clear(struct task *task, struct store *store)
{
    arena_reset(&store->memory);
    store->count = 0;
    store->at = 0;
    if (store->spilled) {
        store->spilled = false;
        run_reader_destroy(&store->reader);
        run_destroy(&store->run);
        spill_destroy(task, &store->spill);
    }
}

size_t
store_memory(const struct store *store)
{
    return arena_used(&store->memory) + store->capacity * sizeof *store->rows +
           store->run.tail.capacity + store->reader.capacity;
}

/* All rows so far go into the run, where reading goes on at the same one. */
static enum err
move_to_run(struct task *task, struct store *store)
{
    store->spilled = true;
    run_read(&store->reader, &store->run, false);
    for (uint64_t i = 0; i < store->count; i++) {
        if (i == store->at) {
            store->reader.block = store->run.block_count;
            store->reader.at = store->run.tail.size;
        }
        TRY(run_add(task, &store->spill, &store->run, store->rows[i], NULL, store->form));
    }
    if (store->at == store->count) {
        store_skip_all(store);
    }
    arena_reset(&store->memory);
    mem_free(store->rows);
    store->rows = NULL;
    store->capacity = 0;
    if (store->row == NULL) {
        store->row = mem_array((size_t)store->form.count + 1, sizeof *store->row);
    }
    return ERR_OK;
}

enum err
store_add(struct task *task, struct store *store, const struct datum *row, const uint32_t *regs)
{
    if (!store->spilled) {
        if (store->count == store->capacity) {
            store->capacity = store->capacity == 0 ? 64 : store->capacity * 2;
            store->rows = mem_realloc(store->rows, store->capacity * sizeof *store->rows);
        }
        store->rows[store->count++] = row_save(&store->memory, row, regs, store->form);
        return store_memory(store) > store->context->work_mem && spill_possible(store->context)
                   ? move_to_run(task, store)
                   : ERR_OK;
    }
    store->count++;
    return run_add(task, &store->spill, &store->run, row, regs, store->form);
}

void
store_rewind(struct store *store)
{
    store->at = 0;
    if (store->spilled) {
        /* The block in memory may be the very first one. */
        store->reader.block = 0;
        store->reader.at = 0;
    }
}

void
store_skip_all(struct store *store)
{
    store->at = store->count;
    if (store->spilled) {
        store->reader.block = store->run.block_count;
        store->reader.at = store->run.tail.size;
    }
}

enum err
store_next(struct task *task, struct store *store, const struct datum **row)
{
    *row = NULL;
    if (store->at == store->count) {
        return ERR_OK;
    }
    *row = store->row;
    if (!store->spilled) {
        *row = store->rows[store->at++];
        return ERR_OK;
    }
    bool found = false;
    store->at++;
    TRY(run_next(task, &store->spill, &store->reader, store->form, store->row, &found));
    ASSERT(found);
    return ERR_OK;
}

/* ---- rows by number -------------------------------------------------------------------------- */

void
store_cursor_clear(struct store_cursor *cursor)
{
    run_reader_destroy(&cursor->reader);
    mem_free(cursor->row);
    *cursor = (struct store_cursor){0};
}

/* To before the row: its block by bisection, then over the rows before it. */
static enum err
place(struct task *task, struct store *store, struct store_cursor *cursor, uint64_t number)
{
    struct run_reader *reader = &cursor->reader;
    const struct run *run = &store->run;
    uint32_t low = 0, high = run->block_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (run->blocks[middle].end > number) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    uint64_t first = low == 0 ? 0 : run->blocks[low - 1].end;
    bool ahead = cursor->placed && reader->block == low && cursor->next <= number;
    if (!ahead) {
        reader->run = &store->run;
        reader->block = low;
        reader->at = 0;
        reader->last = false;
        cursor->next = first;
    }
    cursor->placed = true;
    const uint8_t *bytes = run->tail.data;
    if (low < run->block_count) {
        if (reader->loaded != low + 1) {
            TRY(load_block(task, &store->spill, reader));
        }
        bytes = reader->bytes;
    }
    for (; cursor->next < number; cursor->next++) {
        reader->at += load_le32(bytes + reader->at);
    }
    return ERR_OK;
}

enum err
store_get(struct task *task, struct store *store, struct store_cursor *cursor, uint64_t number,
    const struct datum **row)
{
    ASSERT(number < store->count);
    if (!store->spilled) {
        *row = store->rows[number];
        return ERR_OK;
    }
    if (cursor->row == NULL) {
        cursor->row = mem_array((size_t)store->form.count + 1, sizeof *cursor->row);
    }
    *row = cursor->row;
    if (cursor->placed && cursor->next == number + 1) {
        return ERR_OK; /* the one that is there */
    }
    TRY(place(task, store, cursor, number));
    bool found = false;
    cursor->next++;
    TRY(run_next(task, &store->spill, &cursor->reader, store->form, cursor->row, &found));
    ASSERT(found);
    return ERR_OK;
}
