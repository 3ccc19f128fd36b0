/*
 * Any bytes in the place of the log: an error in words, or records that a sound log could have,
 * and then a log that goes on: what is appended behind them is read back, and nothing else.
 * short run: 1000
 *
 * The input damages a sound log: a few records in segments of 64 KiB, of which the input may
 * change, zero or copy pieces, with checksums that agree if it wishes, or leave files away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "wal/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    SEGMENT = 64 * 1024,
    SEGMENTS = 4,
    RECORDS = 40,
    RECORD_HEAD = 32,
    LIST_MAX = 4096,
};

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t sound[SEGMENTS * SEGMENT]; /* a sound log, made once */
static uint64_t starts[RECORDS];
static bool made;
static bool done;

static const char directory[] = "/log";

static uint8_t
take(struct input *input)
{
    if (input->size == 0) {
        return 0;
    }
    input->size--;
    return *input->data++;
}

static void
must(enum err err, const struct diag *diag)
{
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s\n", diag->message);
        abort();
    }
}

static struct wal *
open_log(struct task *task, uint64_t from, enum err *err, struct diag *diag)
{
    struct wal *wal = NULL;
    struct wal_options options = {.directory = directory, .segment_size = SEGMENT, .from = {from}};
    *err = wal_open(task, &options, &wal, diag);
    return wal;
}

static void
segment_name(char *path, size_t size, uint64_t number)
{
    (void)snprintf(path, size, "%s/%016llX.wal", directory, (unsigned long long)number);
}

static lsn_t
append(struct task *task, struct wal *wal, uint64_t number)
{
    uint8_t payload[12000];
    uint64_t mix = hash_u64(number);
    memset(payload, (int)(mix & 0xFF), sizeof payload);
    store_le64(payload, number);
    struct slice piece = slice_of(payload, 8 + mix % (number % 5 == 0 ? 11000 : 500));
    lsn_t start;
    lsn_t end;
    struct diag diag;
    must(wal_make_room(task, wal, piece.size, &diag), &diag);
    ASSERT(wal_append(wal, 3, 1, &piece, 1, &start, &end));
    if (number < RECORDS) {
        starts[number] = start.v;
    }
    return end;
}

/* Fill `sound` with what the room itself writes. */
static void
make_sound(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    enum err err;
    struct wal_record record;
    bool end = false;
    must(world_mkdir(task, directory, &diag), &diag);
    struct wal *wal = open_log(task, 0, &err, &diag);
    must(err, &diag);
    must(wal_next(task, wal, &record, &end, &diag), &diag);
    must(wal_start(task, wal, &diag), &diag);
    for (uint64_t i = 0; i < RECORDS; i++) {
        lsn_t to = append(task, wal, i);
        if (i % 3 == 0) {
            wal_wait_durable(task, wal, to);
        }
    }
    wal_wait_durable(task, wal, wal_end(wal));
    ASSERT(wal_end(wal).v < (SEGMENTS - 1) * SEGMENT);
    wal_close(task, wal);
    for (uint64_t i = 0; i < SEGMENTS; i++) {
        char path[64];
        struct world_file *file = NULL;
        size_t got = 0;
        segment_name(path, sizeof path, i);
        if (world_file_exists(task, path)) {
            must(world_file_open(task, path, WORLD_FILE_READ, &file, &diag), &diag);
            must(world_file_read(task, file, 0, sound + i * SEGMENT, SEGMENT, &got, &diag), &diag);
            world_file_close(task, file);
        }
    }
    made = true;
    world_stop(task_world(task));
}

/* One change to the log. */
static void
damage(struct input *input, uint8_t *bytes)
{
    size_t total = sizeof sound;
    uint8_t what = take(input);
    uint64_t start = starts[take(input) % RECORDS];
    size_t at = start;
    switch (what % 8) {
    case 0: /* a byte anywhere */
        at = ((size_t)take(input) | (size_t)take(input) << 8 | (size_t)take(input) << 16) % total;
        bytes[at] = take(input);
        break;
    case 1: /* a byte of a record's head */
        bytes[start + take(input) % RECORD_HEAD] ^= (uint8_t)(1U << take(input) % 8);
        break;
    case 2: /* zeroes from somewhere in a record on: a torn write */
        at += (size_t)take(input) * 8;
        memset(bytes + at, 0, (size_t)(1 + take(input)) * 512 % (total - at));
        break;
    case 3: { /* one record's bytes over another's: old blocks */
        size_t from = starts[take(input) % RECORDS];
        size_t size = (size_t)(1 + take(input)) * 64;
        size = from + size > total ? total - from : size;
        size = at + size > total ? total - at : size;
        memmove(bytes + at, bytes + from, size);
        break;
    }
    case 4: /* the log ends here */
        memset(bytes + at, 0, total - at);
        break;
    default: { /* a field of the head, and a checksum that agrees */
        static const uint8_t fields[] = {0, 1, 2, 8, 16, 17, 18, 24, 26};
        bytes[start + fields[take(input) % sizeof fields]] = take(input);
        size_t size = load_le32(bytes + start);
        if (size >= RECORD_HEAD && size < total - start) {
            store_le32(bytes + start + 4, crc32c(CRC32C_INIT, bytes + start + 8, size - 8));
        }
        break;
    }
    }
}

static void
write_files(struct task *task, struct input *input)
{
    struct diag diag;
    uint8_t *bytes = mem_alloc(sizeof sound);
    memcpy(bytes, sound, sizeof sound);
    uint8_t missing = take(input);
    for (int i = 0; i < 20 && input->size > 0; i++) {
        damage(input, bytes);
    }
    must(world_mkdir(task, directory, &diag), &diag);
    for (uint64_t i = 0; i < SEGMENTS; i++) {
        char path[64];
        struct world_file *file = NULL;
        segment_name(path, sizeof path, i);
        if (missing < 16 && (missing >> i & 1) != 0) {
            continue;
        }
        size_t size = missing == 16 + i ? SEGMENT / 2 : SEGMENT; /* cut off */
        must(
            world_file_open(task, path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &file, &diag), &diag);
        must(world_file_write(task, file, 0, bytes + i * SEGMENT, size, &diag), &diag);
        world_file_close(task, file);
    }
    mem_free(bytes);
}

struct list {
    uint64_t hashes[LIST_MAX];
    size_t count;
};

/* Read to the end. NULL if it is refused; then there are words. */
static struct wal *
read_all(struct task *task, uint64_t from, struct list *list)
{
    struct diag diag;
    enum err err;
    diag_clear(&diag);
    struct wal *wal = open_log(task, from, &err, &diag);
    if (err != ERR_OK) {
        ASSERT(diag.message[0] != '\0');
        return NULL;
    }
    uint64_t at = from == 0 ? WAL_FIRST_LSN : from;
    list->count = 0;
    for (;;) {
        struct wal_record record;
        bool end = false;
        err = wal_next(task, wal, &record, &end, &diag);
        if (err != ERR_OK) {
            ASSERT(diag.message[0] != '\0');
            wal_close(task, wal);
            return NULL;
        }
        if (end) {
            return wal;
        }
        ASSERT(record.start.v == at && record.end.v >= at + RECORD_HEAD + record.payload.size);
        at = record.end.v;
        ASSERT(at <= (SEGMENTS + 1) * SEGMENT && list->count < LIST_MAX);
        list->hashes[list->count++] = hash64(record.payload.data, record.payload.size, record.type);
    }
}

static void
run(struct task *task, void *arg)
{
    struct input *input = arg;
    struct diag diag;
    uint8_t which = take(input);
    uint64_t from = which % 4 == 0 ? starts[which / 4 % RECORDS] : 0;
    write_files(task, input);
    struct list *before = mem_alloc(sizeof *before);
    struct list *after = mem_alloc(sizeof *after);
    struct wal *wal = read_all(task, from, before);
    if (wal != NULL && wal_start(task, wal, &diag) == ERR_OK) {
        /* It goes on: three times, with as many records as may end at an old one's beginning. */
        for (uint64_t round = 0; round < 3; round++) {
            uint64_t more = which % 5;
            for (uint64_t i = 0; i < more; i++) {
                wal_wait_durable(task, wal, append(task, wal, 1000 + round * 10 + i));
            }
            wal_close(task, wal);
            wal = read_all(task, from, after);
            ASSERT(wal != NULL && after->count == before->count + more);
            ASSERT(memcmp(before->hashes, after->hashes, before->count * 8) == 0);
            *before = *after;
            must(wal_start(task, wal, &diag), &diag);
        }
    }
    if (wal != NULL) {
        wal_close(task, wal);
    }
    mem_free(before);
    mem_free(after);
    done = true;
    world_stop(task_world(task));
}

static void
run_world(task_main *run_main, void *arg)
{
    struct diag diag;
    struct world_sim_options options = {0};
    struct world *world = world_sim_new(1, &options);
    must(task_spawn(world, 0, "fuzz", run_main, arg, &diag), &diag);
    world_run(world);
    world_delete(world);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!made) {
        run_world(make_sound, NULL);
        ASSERT(made);
    }
    struct input input = {data, size};
    done = false;
    run_world(run, &input);
    ASSERT(done);
    return 0;
}
