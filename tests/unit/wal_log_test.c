/* What wal/wal.h promises: what was appended and durable is read back; a torn tail ends the log; a
 * damaged record before good ones is an error; nothing comes back from behind a hole.
 * ctest: threads */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/latch.h"
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
};

static uint64_t appended; /* records so far */

/* Record number n is a function of n. */
static size_t
payload_of(uint64_t number, uint8_t *to)
{
    uint64_t mix = hash_u64(number + 1);
    size_t size = mix % 50 == 0 ? mix % 300000 : 8 + mix % 200;
    size = size < 8 ? 8 : size;
    memset(to, (int)(mix & 0xFF), size);
    store_le64(to, number);
    return size;
}

static struct wal *
open_log(struct task *task, const char *directory, enum err expected, uint64_t *count)
{
    struct diag diag;
    struct wal *wal = NULL;
    struct wal_options options = {.directory = directory, .segment_size = SEGMENT};
    OK(wal_open(task, &options, &wal, &diag));
    uint8_t *payload = mem_alloc(400000);
    *count = 0;
    for (;;) {
        struct wal_record record;
        bool end = false;
        enum err err = wal_next(task, wal, &record, &end, &diag);
        if (err != ERR_OK) {
            ASSERT(err == expected && strstr(diag.message, "damaged") != NULL);
            wal_close(task, wal);
            mem_free(payload);
            return NULL;
        }
        if (end) {
            break;
        }
        size_t size = payload_of(*count, payload);
        ASSERT(record.type == 7 && record.version == 3);
        ASSERT(slice_equal(record.payload, slice_of(payload, size)));
        (*count)++;
    }
    ASSERT(expected == ERR_OK);
    OK(wal_start(task, wal, &diag));
    mem_free(payload);
    return wal;
}

static lsn_t
append(struct task *task, struct wal *wal, uint64_t number, lsn_t *start)
{
    uint8_t *payload = mem_alloc(400000);
    size_t size = payload_of(number, payload);
    struct slice pieces[] = {slice_of(payload, 8), slice_of(payload + 8, size - 8)};
    lsn_t end = {0};
    struct diag diag;
    do {
        OK(wal_make_room(task, wal, size, &diag));
    } while (!wal_append(wal, 7, 3, pieces, 2, start, &end));
    mem_free(payload);
    return end;
}

static void
damage(struct task *task, const char *directory, uint64_t lsn, uint8_t byte)
{
    struct diag diag;
    struct world_file *file = NULL;
    char path[256];
    (void)snprintf(
        path, sizeof path, "%s/%016llX.wal", directory, (unsigned long long)(lsn / SEGMENT));
    OK(world_file_open(task, path, WORLD_FILE_WRITE, &file, &diag));
    OK(world_file_write(task, file, lsn % SEGMENT, &byte, 1, &diag));
    world_file_sync(task, file);
    world_file_close(task, file);
}

/* Grow, close, open again, many times. */
static void
test_read_back(struct task *task, const char *directory)
{
    uint64_t count;
    for (int round = 0; round < 6; round++) {
        struct wal *wal = open_log(task, directory, ERR_OK, &count);
        ASSERT(count == appended);
        lsn_t start;
        lsn_t end = {0};
        for (int i = 0; i < 500; i++) {
            end = append(task, wal, appended++, &start);
            if (i % 17 == 0) {
                wal_wait_durable(task, wal, end);
                ASSERT(wal_durable(wal).v >= end.v);
            }
        }
        wal_wait_durable(task, wal, end);
        wal_close(task, wal);
    }
}

/* The last record torn: it is not there; what comes next takes its place. */
static void
test_torn_tail(struct task *task, const char *directory)
{
    uint64_t count;
    struct wal *wal = open_log(task, directory, ERR_OK, &count);
    lsn_t start;
    lsn_t end = append(task, wal, appended, &start);
    wal_wait_durable(task, wal, end);
    wal_close(task, wal);
    damage(task, directory, end.v - 1 - (end.v - start.v) / 2, 0xA5);
    wal = open_log(task, directory, ERR_OK, &count);
    ASSERT(count == appended);
    wal_close(task, wal);
}

/* Two records in one flush, the first torn: neither counts, and when another record has taken the
 * first one's place the second does not come back. */
static void
test_hole(struct task *task, const char *directory)
{
    uint64_t count;
    struct wal *wal = open_log(task, directory, ERR_OK, &count);
    lsn_t start;
    lsn_t second;
    (void)append(task, wal, appended, &start);
    lsn_t end = append(task, wal, appended + 1, &second);
    wal_wait_durable(task, wal, end);
    wal_close(task, wal);
    damage(task, directory, start.v + 4, 0x77);
    wal = open_log(task, directory, ERR_OK, &count);
    ASSERT(count == appended);
    lsn_t again = append(task, wal, appended++, &start);
    ASSERT(again.v == second.v);
    wal_wait_durable(task, wal, again);
    wal_close(task, wal);
    wal = open_log(task, directory, ERR_OK, &count);
    ASSERT(count == appended);
    wal_close(task, wal);
}

static void
test_damage(struct task *task, const char *directory)
{
    uint64_t count;
    struct wal *wal = open_log(task, directory, ERR_OK, &count);
    lsn_t start;
    lsn_t victim = {0};
    uint8_t old = 0;
    for (int i = 0; i < 20; i++) {
        lsn_t end = append(task, wal, appended++, i == 10 ? &victim : &start);
        wal_wait_durable(task, wal, end);
    }
    wal_close(task, wal);
    struct diag diag;
    struct world_file *file = NULL;
    char path[256];
    size_t got = 0;
    (void)snprintf(
        path, sizeof path, "%s/%016llX.wal", directory, (unsigned long long)(victim.v / SEGMENT));
    OK(world_file_open(task, path, WORLD_FILE_READ, &file, &diag));
    OK(world_file_read(task, file, (victim.v + 35) % SEGMENT, &old, 1, &got, &diag));
    world_file_close(task, file);
    damage(task, directory, victim.v + 35, (uint8_t)(old ^ 1));
    ASSERT(open_log(task, directory, ERR_CORRUPT, &count) == NULL);
    ASSERT(count == appended - 10);
    damage(task, directory, victim.v + 35, old);
    wal = open_log(task, directory, ERR_OK, &count);
    ASSERT(count == appended);
    wal_close(task, wal);
}

/* A file that is too short is not an end of the log: what comes later would be met again once the
 * log has grown over the gap. */
static void
test_cut_off(struct task *task, const char *directory)
{
    uint64_t count;
    struct diag diag;
    struct wal *wal = open_log(task, directory, ERR_OK, &count);
    lsn_t start;
    lsn_t end = append(task, wal, appended++, &start);
    wal_wait_durable(task, wal, end);
    wal_close(task, wal);
    char path[256];
    struct world_file *file = NULL;
    (void)snprintf(
        path, sizeof path, "%s/%016llX.wal", directory, (unsigned long long)(start.v / SEGMENT));
    OK(world_file_open(task, path, WORLD_FILE_WRITE, &file, &diag));
    OK(world_file_truncate(task, file, start.v % SEGMENT, &diag));
    struct wal_options options = {.directory = directory, .segment_size = SEGMENT};
    OK(wal_open(task, &options, &wal, &diag));
    enum err err = ERR_OK;
    bool ended = false;
    while (err == ERR_OK && !ended) {
        struct wal_record record;
        err = wal_next(task, wal, &record, &ended, &diag);
    }
    ASSERT(err == ERR_CORRUPT && strstr(diag.message, "bytes long") != NULL);
    wal_close(task, wal);
    world_file_close(task, file);
    options.segment_size = SEGMENT / 2; /* nor is one where smaller files would end */
    OK(wal_open(task, &options, &wal, &diag));
    struct wal_record record;
    ASSERT(wal_next(task, wal, &record, &ended, &diag) == ERR_CORRUPT);
    wal_close(task, wal);
}

struct shared {
    struct wal *wal;
    struct latch latch;
    _Atomic int live;
};

static void
committer(struct task *task, void *arg)
{
    struct shared *shared = arg;
    for (uint64_t i = 0; i < 200; i++) {
        uint8_t payload[100] = {0};
        struct slice piece = slice_of(payload, sizeof payload);
        lsn_t start;
        lsn_t end;
        struct diag diag;
        OK(wal_make_room(task, shared->wal, sizeof payload, &diag));
        latch_acquire(&shared->latch);
        ASSERT(wal_append(shared->wal, 1, 1, &piece, 1, &start, &end));
        latch_release(&shared->latch);
        wal_wait_durable(task, shared->wal, end);
        ASSERT(wal_durable(shared->wal).v >= end.v);
    }
    atomic_fetch_sub(&shared->live, 1);
}

/* Many at once share flushes; old segments are used again. */
static void
test_group(struct task *task, const char *directory)
{
    struct diag diag;
    struct wal *wal = NULL;
    struct wal_options options = {.directory = directory, .segment_size = SEGMENT};
    OK(wal_open(task, &options, &wal, &diag));
    struct wal_record record;
    bool end = false;
    OK(wal_next(task, wal, &record, &end, &diag));
    ASSERT(end);
    OK(wal_start(task, wal, &diag));
    static struct shared shared;
    shared = (struct shared){.wal = wal};
    atomic_store(&shared.live, 20);
    uint64_t flushes = wal_flush_count(wal);
    for (int i = 0; i < 20; i++) {
        OK(task_spawn(task_world(task), i, "committer", committer, &shared, &diag));
    }
    while (atomic_load(&shared.live) > 0) {
        task_park(task, world_clock_us(task_world(task)) + 1000);
    }
    ASSERT(wal_flush_count(wal) - flushes < 20 * 200 / 2);
    uint8_t *large = mem_zalloc(500000);
    for (int i = 0; i < 40; i++) {
        struct slice piece = slice_of(large, 500000);
        lsn_t start;
        lsn_t stop;
        OK(wal_make_room(task, wal, piece.size, &diag));
        ASSERT(wal_append(wal, 1, 1, &piece, 1, &start, &stop));
        wal_wait_durable(task, wal, stop);
        wal_free_before(task, wal, start);
    }
    mem_free(large);
    lsn_t last = wal_end(wal);
    wal_close(task, wal);
    options.from = last;
    OK(wal_open(task, &options, &wal, &diag));
    OK(wal_next(task, wal, &record, &end, &diag));
    ASSERT(end);
    wal_close(task, wal);
}

static bool finished;

static void
run(struct task *task, void *arg)
{
    char directory[128];
    appended = 0;
    finished = false;
    (void)snprintf(directory, sizeof directory, "%s/wal", (const char *)arg);
    struct diag diag;
    OK(world_mkdir(task, arg, &diag));
    test_read_back(task, directory);
    test_torn_tail(task, directory);
    test_hole(task, directory);
    test_damage(task, directory);
    test_cut_off(task, directory);
    (void)snprintf(directory, sizeof directory, "%s/wal2", (const char *)arg);
    test_group(task, directory);
    finished = true;
    world_stop(task_world(task));
}

int
main(void)
{
    struct diag diag;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct world_sim_options options = {0};
        struct world *world = world_sim_new(seed, &options);
        static char inside[] = "/data";
        OK(task_spawn(world, 0, "test", run, inside, &diag));
        world_run(world);
        world_delete(world);
        ASSERT(finished);
    }
    char directory[] = "/tmp/tusk_wal_XXXXXX";
    ASSERT(mkdtemp(directory) != NULL);
    struct world *world = NULL;
    struct world_os_options options = {.worker_count = 2};
    OK(world_os_new(&options, &world, &diag));
    OK(task_spawn(world, 0, "test", run, directory, &diag));
    world_run(world);
    world_delete(world);
    ASSERT(finished);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) == 0 ? 0 : 1;
}
