/* The simulator's disk: what a crash may take, does take for some seed, and what it must leave; and
 * the faults. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/world_run.h"

enum {
    SEEDS = 400,
    SECTOR = 512,
    SECTORS = 16,
};

static struct diag diag;

#define OK(call) ASSERT((call) == ERR_OK)

static struct world_file *
open_file(struct task *task, const char *path, int flags)
{
    struct world_file *file = NULL;
    OK(world_file_open(task, path, flags | WORLD_FILE_WRITE | WORLD_FILE_CREATE, &file, &diag));
    return file;
}

static void
put(struct task *task, struct world_file *file, uint64_t offset, char letter, size_t size)
{
    static char bytes[SECTORS * SECTOR];
    ASSERT(size <= sizeof bytes);
    memset(bytes, letter, size);
    OK(world_file_write(task, file, offset, bytes, size, &diag));
}

/* One life: run, the crash, and the disk it leaves in `disk`, which it began with. */
static const char *
live(uint64_t seed, struct world_sim_options options, task_main *run, void *arg,
    enum world_sim_end end, struct buffer *disk)
{
    options.quiet = true;
    options.disk = slice_of(disk->data, disk->size);
    struct world *world = world_sim_new(seed, &options);
    OK(task_spawn(world, 0, "life", run, arg, &diag));
    world_run(world);
    const char *why = world_sim_crashed(world);
    struct buffer left = {0};
    world_sim_disk(world, end, &left);
    world_delete(world);
    buffer_destroy(disk);
    *disk = left;
    return why;
}

/* ---- what is written ------------------------------------------------------------------------- */

static void
write_over(struct task *task, void *arg)
{
    (void)arg;
    OK(world_mkdir(task, "d", &diag));
    struct world_file *file = open_file(task, "d/f", 0);
    world_sync_directory(task, "d");
    put(task, file, 0, 'a', (size_t)SECTORS * SECTOR);
    world_file_sync(task, file);
    put(task, file, 2 * SECTOR, 'b', (SECTORS - 2) * SECTOR);
    put(task, file, SECTORS * SECTOR, 'c', SECTOR);
    world_file_close(task, file);
    world_sim_crash(task, "enough");
}

struct seen {
    unsigned old, new, torn, long_files, missing_renames, renames, lost;
    bool killed;
};

static void
look_at_sectors(struct task *task, void *arg)
{
    struct seen *seen = arg;
    static char bytes[(SECTORS + 2) * SECTOR];
    struct world_file *file = open_file(task, "d/f", 0);
    size_t size = 0;
    OK(world_file_read(task, file, 0, bytes, sizeof bytes, &size, &diag));
    ASSERT(size >= (size_t)SECTORS * SECTOR && size <= (size_t)(SECTORS + 1) * SECTOR);
    unsigned new = 0;
    for (size_t i = 0; i < SECTORS; i++) {
        ASSERT(memcmp(bytes + i * SECTOR, bytes + i * SECTOR + 1, SECTOR - 1) == 0);
        ASSERT(bytes[i * SECTOR] == 'a' || (bytes[i * SECTOR] == 'b' && i >= 2));
        new += bytes[i * SECTOR] == 'b';
    }
    ASSERT(!seen->killed || (new == SECTORS - 2 && size == (size_t)(SECTORS + 1) * SECTOR));
    seen->old += new == 0;
    seen->new += new == SECTORS - 2;
    seen->torn += new > 0 && new < SECTORS - 2;
    seen->long_files += size > (size_t)SECTORS * SECTOR;
    world_file_close(task, file);
}

static void
test_writes(void)
{
    struct seen cut = {0};
    struct seen killed = {.killed = true};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct buffer disk = {0};
        struct buffer again = {0};
        const char *why =
            live(seed, (struct world_sim_options){0}, write_over, NULL, WORLD_SIM_POWER_CUT, &disk);
        ASSERT(strcmp(why, "enough") == 0);
        (void)live(
            seed, (struct world_sim_options){0}, write_over, NULL, WORLD_SIM_POWER_CUT, &again);
        ASSERT(slice_equal(slice_of(disk.data, disk.size), slice_of(again.data, again.size)));
        ASSERT(live(seed, (struct world_sim_options){0}, look_at_sectors, &cut, WORLD_SIM_KILLED,
                   &disk) == NULL);
        buffer_destroy(&disk);
        buffer_destroy(&again);
        (void)live(seed, (struct world_sim_options){0}, write_over, NULL, WORLD_SIM_KILLED, &disk);
        (void)live(
            seed, (struct world_sim_options){0}, look_at_sectors, &killed, WORLD_SIM_KILLED, &disk);
        buffer_destroy(&disk);
    }
    (void)fprintf(stderr, "  writes: %u old, %u new, %u torn, %u long\n", cut.old, cut.new,
        cut.torn, cut.long_files);
    ASSERT(cut.old > 20 && cut.new > 20 && cut.torn > 100 && cut.long_files > 50);
    ASSERT(cut.long_files < SEEDS - 50);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void
change_names(struct task *task, void *arg)
{
    (void)arg;
    struct world_file *file = open_file(task, "old", 0);
    put(task, file, 0, 'o', 10);
    world_file_sync(task, file);
    world_file_close(task, file);
    file = open_file(task, "gone", 0);
    world_file_close(task, file);
    world_sync_directory(task, ".");
    file = open_file(task, "new.tmp", 0);
    put(task, file, 0, 'n', 10);
    world_file_sync(task, file);
    world_file_close(task, file);
    OK(world_rename(task, "new.tmp", "old", &diag));
    OK(world_unlink(task, "gone", &diag));
    file = open_file(task, "other", 0);
    world_file_close(task, file);
    world_sim_crash(task, "enough");
}

static void
look_at_names(struct task *task, void *arg)
{
    struct seen *seen = arg;
    char bytes[10];
    size_t size = 0;
    ASSERT(world_file_exists(task, "old"));
    struct world_file *file = open_file(task, "old", 0);
    OK(world_file_read(task, file, 0, bytes, sizeof bytes, &size, &diag));
    ASSERT(size == 10 && (bytes[0] == 'o' || bytes[0] == 'n'));
    bool renamed = bytes[0] == 'n';
    ASSERT(!renamed || !world_file_exists(task, "new.tmp"));
    world_file_close(task, file);
    seen->renames += renamed;
    seen->missing_renames += !renamed && !world_file_exists(task, "new.tmp");
    seen->lost += world_file_exists(task, "gone");
    seen->new += world_file_exists(task, "other");
}

static void
test_names(void)
{
    struct seen seen = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct buffer disk = {0};
        (void)live(
            seed, (struct world_sim_options){0}, change_names, NULL, WORLD_SIM_POWER_CUT, &disk);
        (void)live(
            seed, (struct world_sim_options){0}, look_at_names, &seen, WORLD_SIM_KILLED, &disk);
        buffer_destroy(&disk);
    }
    (void)fprintf(stderr, "  names: %u renamed, %u lost, %u not removed, %u created\n",
        seen.renames, seen.missing_renames, seen.lost, seen.new);
    ASSERT(seen.renames > 50 && seen.missing_renames > 50 && seen.lost > 50 && seen.new > 50);
}

/* ---- durable writes, crashes at an operation ----------------------------------------------------
 */

static _Alignas(WORLD_BLOCK_SIZE) char block[WORLD_BLOCK_SIZE];
static unsigned acknowledged;

static void
write_log(struct task *task, void *arg)
{
    (void)arg;
    acknowledged = 0;
    struct world_file *file = open_file(task, "log", WORLD_FILE_DURABLE);
    world_sync_directory(task, ".");
    for (unsigned i = 0; i < 10; i++) {
        memset(block, (int)('0' + i), sizeof block);
        OK(world_file_write(task, file, (uint64_t)i * sizeof block, block, sizeof block, &diag));
        acknowledged = i + 1;
    }
    world_file_close(task, file);
}

static void
look_at_log(struct task *task, void *arg)
{
    unsigned *torn = arg;
    struct world_file *file = open_file(task, "log", 0);
    for (unsigned i = 0; i < 10; i++) {
        size_t size = 0;
        OK(world_file_read(
            task, file, (uint64_t)i * sizeof block, block, sizeof block, &size, &diag));
        unsigned good = 0;
        for (size_t at = 0; at < size; at++) {
            ASSERT(block[at] == (char)('0' + i) || block[at] == 0);
            good += block[at] != 0;
        }
        ASSERT(i >= acknowledged || good == sizeof block);
        ASSERT(i <= acknowledged || good == 0);
        *torn += good > 0 && good < sizeof block;
    }
    world_file_close(task, file);
}

static void
test_crash_points(void)
{
    unsigned torn = 0;
    unsigned ends = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (uint64_t at = 1;; at++) {
            struct buffer disk = {0};
            const char *why = live(seed, (struct world_sim_options){.crash_at_io = at}, write_log,
                NULL, WORLD_SIM_POWER_CUT, &disk);
            (void)live(
                seed, (struct world_sim_options){0}, look_at_log, &torn, WORLD_SIM_KILLED, &disk);
            buffer_destroy(&disk);
            if (why == NULL) {
                ASSERT(at == 13 && acknowledged == 10); /* open, directory, ten writes */
                ends++;
                break;
            }
            ASSERT(acknowledged == (at <= 3 ? 0 : at - 3));
        }
    }
    (void)fprintf(stderr, "  crash points: %u blocks torn\n", torn);
    ASSERT(torn > 20 && ends == 20);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static void
test_faults(void)
{
    struct buffer disk = {0};
    struct world_sim_options options = {.faults = {.write_error = 65536}};
    ASSERT(live(1, options, write_log, NULL, WORLD_SIM_POWER_CUT, &disk) != NULL);
    buffer_destroy(&disk);
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        options = (struct world_sim_options){.faults = {.write_lie = 65536}};
        ASSERT(live(seed, options, write_log, NULL, WORLD_SIM_POWER_CUT, &disk) == NULL);
        ASSERT(acknowledged == 10);
        acknowledged = 0;
        lost += disk.size < 10 * sizeof block;
        buffer_destroy(&disk);
    }
    ASSERT(lost > 10);
}

static void
fill_disk(struct task *task, void *arg)
{
    (void)arg;
    struct world_file *file = open_file(task, "f", 0);
    put(task, file, 0, 'a', SECTOR);
    static char bytes[SECTOR];
    ASSERT(world_file_write(task, file, SECTOR, bytes, SECTOR, &diag) == ERR_DISK_FULL);
    put(task, file, 0, 'b', SECTOR);
    struct world_sim_faults faults = {.read_error = 65536};
    size_t size = 0;
    world_sim_set_faults(task_world(task), &faults);
    ASSERT(world_file_read(task, file, 0, bytes, SECTOR, &size, &diag) == ERR_IO);
    faults = (struct world_sim_faults){.rot = 65536};
    world_sim_set_faults(task_world(task), &faults);
    OK(world_file_read(task, file, 0, bytes, SECTOR, &size, &diag));
    unsigned bad = 0;
    for (int i = 0; i < SECTOR; i++) {
        bad += bytes[i] != 'b';
    }
    ASSERT(bad == 1);
    faults = (struct world_sim_faults){.sync_error = 65536};
    world_sim_set_faults(task_world(task), &faults);
    world_file_close(task, file);
    world_sync_directory(task, ".");
    ASSERT(false);
}

static void
sleep_long(struct task *task, void *arg)
{
    (void)arg;
    task_sleep(task, 1000000000);
    ASSERT(false);
}

int
main(void)
{
    test_writes();
    test_names();
    test_crash_points();
    test_faults();
    struct buffer disk = {0};
    struct world_sim_options options = {.faults = {.disk_size = SECTOR}};
    ASSERT(live(1, options, fill_disk, NULL, WORLD_SIM_KILLED, &disk) != NULL);
    options = (struct world_sim_options){.crash_at_us = 5000};
    ASSERT(live(1, options, sleep_long, NULL, WORLD_SIM_KILLED, &disk) != NULL);
    buffer_destroy(&disk);
    return 0;
}
