/* A log damaged in any place: what had been durable is never skipped and never taken for the end.
 * Every record of a log of several segments is damaged in every field and in every sector; all but
 * the last must give ERR_CORRUPT with file and offset, after all records before it have been read;
 * the last, for which nothing later speaks, is a torn end. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "wal/wal.h"

#define OK(call)                                                                               \
    do {                                                                                       \
        enum err ok_err = (call);                                                              \
        if (ok_err != ERR_OK) {                                                                \
            (void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, diag.message); \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

enum {
    SEGMENT = 1 << 20,
    RECORDS = 72,
    SECTOR = 512,
    HEAD = 32,
};

static const char directory[] = "wal";
static uint64_t starts[RECORDS + 1]; /* and where the log ends */
static uint64_t sizes[RECORDS];      /* without padding */
static unsigned tried, crossing;

static size_t
size_of(unsigned number)
{
    uint64_t mix = hash_u64(number + 77);
    return number % 5 == 3 ? 100000 + mix % 300000 : 8 + mix % 700;
}

static struct wal *
open_log(struct task *task)
{
    struct diag diag;
    struct wal *wal = NULL;
    struct wal_options options = {.directory = directory, .segment_size = SEGMENT};
    OK(wal_open(task, &options, &wal, &diag));
    return wal;
}

static void
write_log(struct task *task)
{
    struct diag diag;
    struct wal *wal = open_log(task);
    struct wal_record record;
    bool end = false;
    OK(wal_next(task, wal, &record, &end, &diag));
    ASSERT(end);
    OK(wal_start(task, wal, &diag));
    uint8_t *payload = mem_alloc(500000);
    for (unsigned i = 0; i < RECORDS; i++) {
        memset(payload, (int)i + 1, size_of(i));
        struct slice piece = slice_of(payload, size_of(i));
        lsn_t start;
        lsn_t stop;
        OK(wal_make_room(task, wal, piece.size, &diag));
        ASSERT(wal_append(wal, 1, 1, &piece, 1, &start, &stop));
        wal_wait_durable(task, wal, stop);
        starts[i] = start.v;
        sizes[i] = HEAD + piece.size;
        starts[i + 1] = stop.v;
        crossing += start.v / SEGMENT != (stop.v - 1) / SEGMENT;
    }
    mem_free(payload);
    wal_close(task, wal);
}

/* How many records can be read, and how it ends. */
static unsigned
read_log(struct task *task, enum err *err, struct diag *diag)
{
    struct wal *wal = open_log(task);
    unsigned count = 0;
    for (;;) {
        struct wal_record record;
        bool end = false;
        *err = wal_next(task, wal, &record, &end, diag);
        if (*err != ERR_OK || end) {
            break;
        }
        ASSERT(record.start.v == starts[count] && record.payload.size == size_of(count));
        ASSERT(record.payload.data[0] == (uint8_t)(count + 1));
        count++;
    }
    wal_close(task, wal);
    return count;
}

static void
patch(struct task *task, uint64_t lsn, uint8_t *bytes, size_t size, bool read)
{
    struct diag diag;
    while (size > 0) {
        uint64_t offset = lsn % SEGMENT;
        size_t part = SEGMENT - offset < size ? (size_t)(SEGMENT - offset) : size;
        struct world_file *file = NULL;
        char path[64];
        (void)snprintf(
            path, sizeof path, "%s/%016llX.wal", directory, (unsigned long long)(lsn / SEGMENT));
        OK(world_file_open(task, path, WORLD_FILE_WRITE, &file, &diag));
        size_t got = part;
        if (read) {
            OK(world_file_read(task, file, offset, bytes, part, &got, &diag));
        } else {
            OK(world_file_write(task, file, offset, bytes, part, &diag));
        }
        ASSERT(got == part);
        world_file_close(task, file);
        lsn += part;
        bytes += part;
        size -= part;
    }
}

/* Which record a byte of the log belongs to; padding belongs to none. */
static bool
counts(uint64_t lsn, unsigned *number)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        if (lsn >= starts[i] && lsn < starts[i] + sizes[i]) {
            *number = i;
            return true;
        }
    }
    return false;
}

/* Put other bytes there, look, and put the old ones back. */
static void
with_damage(struct task *task, uint64_t lsn, const uint8_t *bytes, size_t size)
{
    uint8_t *old = mem_alloc(size);
    uint8_t *new = mem_alloc(size);
    patch(task, lsn, old, size, true);
    memcpy(new, bytes, size);
    bool changed[RECORDS] = {false};
    unsigned hit = RECORDS; /* the first that is changed */
    unsigned whole = 0;     /* the last that is not */
    unsigned number = 0;
    for (size_t i = 0; i < size; i++) {
        if (new[i] != old[i] && counts(lsn + i, &number)) {
            changed[number] = true;
        }
    }
    for (unsigned i = RECORDS; i-- > 0;) {
        hit = changed[i] ? i : hit;
        whole = !changed[i] && whole == 0 ? i : whole;
    }
    patch(task, lsn, new, size, false);
    struct diag diag;
    enum err err;
    diag_clear(&diag);
    unsigned count = read_log(task, &err, &diag);
    if (hit == RECORDS) {
        ASSERT(err == ERR_OK && count == RECORDS);
    } else {
        bool proof = whole > hit; /* a sound record behind it says that it was durable */
        if (count != hit || err != (proof ? ERR_CORRUPT : ERR_OK)) {
            (void)fprintf(stderr, "%zu bytes at %llX: record %u of %u, %u read, error %d: %s\n",
                size, (unsigned long long)lsn, hit, RECORDS, count, (int)err, diag.message);
        }
        ASSERT(count == hit);
        ASSERT(err == (proof ? ERR_CORRUPT : ERR_OK));
        if (proof) {
            char name[32];
            (void)snprintf(
                name, sizeof name, "%016llX.wal", (unsigned long long)(starts[hit] / SEGMENT));
            ASSERT(strstr(diag.message, name) != NULL && strstr(diag.message, "offset") != NULL);
            ASSERT(diag.hint[0] != '\0' && diag.detail[0] != '\0');
        }
        tried++;
    }
    patch(task, lsn, old, size, false);
    mem_free(new);
    mem_free(old);
}

static void
flip(struct task *task, uint64_t lsn)
{
    uint8_t byte;
    patch(task, lsn, &byte, 1, true);
    byte ^= 0x10;
    with_damage(task, lsn, &byte, 1);
}

static void
run(struct task *task, void *arg)
{
    (void)arg;
    write_log(task);
    ASSERT(crossing >= 2);
    struct diag diag;
    enum err err;
    ASSERT(read_log(task, &err, &diag) == RECORDS && err == ERR_OK);
    static const uint8_t zeroes[2 * SEGMENT];
    static uint8_t ones[SECTOR];
    memset(ones, 0xFF, sizeof ones);
    for (unsigned i = 0; i < RECORDS; i++) {
        for (unsigned field = 0; field < HEAD; field += 3) {
            flip(task, starts[i] + field);
        }
        flip(task, starts[i] + HEAD);
        flip(task, starts[i] + sizes[i] / 2);
        flip(task, starts[i] + sizes[i] - 1);
        uint64_t step = sizes[i] > 8 * SECTOR ? sizes[i] / 4 : SECTOR;
        for (uint64_t at = starts[i]; at < starts[i] + sizes[i]; at += step) {
            with_damage(task, at / SECTOR * SECTOR, zeroes, SECTOR);
            with_damage(task, at / SECTOR * SECTOR, ones, SECTOR);
        }
        /* Both sides of a border between segments, a whole record, and several at once. */
        uint64_t border = (starts[i] + sizes[i]) / SEGMENT * SEGMENT;
        if (starts[i] < border) {
            with_damage(task, border - SECTOR, zeroes, SECTOR);
            with_damage(task, border, zeroes, SECTOR);
            flip(task, border - 1);
            flip(task, border);
        }
        with_damage(task, starts[i], zeroes, (size_t)sizes[i]);
        if (i + 4 < RECORDS) {
            with_damage(task, starts[i], zeroes, (size_t)(starts[i + 3] - starts[i]));
        }
    }
    /* A whole segment of zeroes, with a sound one behind it. */
    for (uint64_t segment = 1; segment < starts[RECORDS] / SEGMENT; segment++) {
        with_damage(task, segment * SEGMENT, zeroes, SEGMENT);
    }
    ASSERT(read_log(task, &err, &diag) == RECORDS && err == ERR_OK);
    (void)fprintf(stderr, "%u places, %u records across segments\n", tried, crossing);
    world_stop(task_world(task));
}

int
main(void)
{
    struct diag diag;
    struct world_sim_options options = {.delay_us_max = 1};
    struct world *world = world_sim_new(1, &options);
    OK(task_spawn(world, 0, "test", run, NULL, &diag));
    world_run(world);
    world_delete(world);
    return 0;
}
