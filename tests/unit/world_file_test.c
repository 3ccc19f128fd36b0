/* Files, on both back ends: what is written is read, what is wrong is said.
 * ctest: threads */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/unit/world_run.h"

static char root[64];

static char *
path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void
test_write_and_read(struct task *task)
{
    struct diag diag;
    struct world_file *file = NULL;
    ASSERT(world_file_open(task, path_of("plain"), WORLD_FILE_READ, &file, &diag) ==
           ERR_UNDEFINED_FILE);
    ASSERT(strstr(diag.message, "No such file or directory") != NULL);
    int flags = WORLD_FILE_WRITE | WORLD_FILE_CREATE | WORLD_FILE_EXCLUSIVE;
    ASSERT(world_file_open(task, path_of("plain"), flags, &file, &diag) == ERR_OK);
    ASSERT(world_file_write(task, file, 10, "hello", 5, &diag) == ERR_OK);
    world_file_sync(task, file);

    char bytes[32];
    size_t size = 0;
    ASSERT(world_file_read(task, file, 0, bytes, sizeof bytes, &size, &diag) == ERR_OK);
    ASSERT(size == 15 && memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0hello", 15) == 0);
    ASSERT(world_file_read(task, file, 100, bytes, sizeof bytes, &size, &diag) == ERR_OK);
    ASSERT(size == 0);
    uint64_t file_size = 0;
    ASSERT(world_file_truncate(task, file, 12, &diag) == ERR_OK);
    ASSERT(world_file_size(task, file, &file_size, &diag) == ERR_OK && file_size == 12);
    ASSERT(world_file_truncate(task, file, 16, &diag) == ERR_OK);
    ASSERT(world_file_read(task, file, 10, bytes, sizeof bytes, &size, &diag) == ERR_OK);
    ASSERT(size == 6 && memcmp(bytes, "he\0\0\0\0", 6) == 0);
    world_file_sync(task, file);
    ASSERT(strcmp(world_file_path(file), path_of("plain")) == 0);
    world_file_close(task, file);
    ASSERT(world_file_open(task, path_of("plain"), flags, &file, &diag) == ERR_IO);

    ASSERT(world_file_open(task, path_of("plain"), WORLD_FILE_READ, &file, &diag) == ERR_OK);
    ASSERT(world_file_write(task, file, 0, "x", 1, &diag) == ERR_IO);
    world_file_close(task, file);
}

static void
test_durable(struct task *task)
{
    struct diag diag;
    struct world_file *file = NULL;
    int flags = WORLD_FILE_WRITE | WORLD_FILE_CREATE | WORLD_FILE_DURABLE;
    ASSERT(world_file_open(task, path_of("durable"), flags, &file, &diag) == ERR_OK);
    ASSERT(world_file_preallocate(task, file, 1 << 20, &diag) == ERR_OK);
    uint8_t *block = mem_alloc_aligned(WORLD_BLOCK_SIZE, 2 * WORLD_BLOCK_SIZE);
    memset(block, 7, 2 * WORLD_BLOCK_SIZE);
    ASSERT(world_file_write(task, file, 8192, block, 2 * WORLD_BLOCK_SIZE, &diag) == ERR_OK);
    size_t size = 0;
    ASSERT(world_file_read(task, file, 4096, block, 2 * WORLD_BLOCK_SIZE, &size, &diag) == ERR_OK);
    ASSERT(size == 2 * WORLD_BLOCK_SIZE && block[4095] == 0 && block[4096] == 7);
    mem_free(block);
    uint64_t file_size = 0;
    ASSERT(world_file_size(task, file, &file_size, &diag) == ERR_OK && file_size == 1 << 20);
    world_file_close(task, file);
}

struct names {
    char text[256];
};

static void
add_name(void *arg, const char *name)
{
    struct names *names = arg;
    size_t used = strlen(names->text);
    (void)snprintf(names->text + used, sizeof names->text - used, "%s,", name);
}

static void
test_directories(struct task *task)
{
    struct diag diag;
    struct names names = {{0}};
    ASSERT(world_mkdir(task, path_of("sub"), &diag) == ERR_OK);
    ASSERT(world_mkdir(task, path_of("sub"), &diag) == ERR_OK);
    ASSERT(world_mkdir(task, path_of("no/sub"), &diag) == ERR_UNDEFINED_FILE);
    const char *const files[] = {"sub/b", "sub/c", "sub/a"};
    for (int i = 0; i < 3; i++) {
        struct world_file *file = NULL;
        ASSERT(world_file_open(task, path_of(files[i]), WORLD_FILE_WRITE | WORLD_FILE_CREATE, &file,
                   &diag) == ERR_OK);
        world_file_close(task, file);
    }
    ASSERT(world_rename(task, path_of("sub/b"), path_of("sub/c"), &diag) == ERR_OK);
    ASSERT(world_rename(task, path_of("sub/no"), path_of("sub/c"), &diag) == ERR_UNDEFINED_FILE);
    world_sync_directory(task, path_of("sub"));
    ASSERT(world_list_directory(task, path_of("sub"), add_name, &names, &diag) == ERR_OK);
    ASSERT(strcmp(names.text, "a,c,") == 0);
    names.text[0] = '\0';
    ASSERT(world_list_directory(task, root, add_name, &names, &diag) == ERR_OK);
    ASSERT(strcmp(names.text, "durable,plain,sub,") == 0);
    ASSERT(
        world_list_directory(task, path_of("none"), add_name, &names, &diag) == ERR_UNDEFINED_FILE);
    ASSERT(world_unlink(task, path_of("sub/b"), &diag) == ERR_UNDEFINED_FILE);
    ASSERT(world_file_exists(task, path_of("sub/c")) && !world_file_exists(task, path_of("sub/b")));
    ASSERT(world_unlink(task, path_of("sub/c"), &diag) == ERR_OK);
    ASSERT(world_unlink(task, path_of("sub/a"), &diag) == ERR_OK);
    ASSERT(world_unlink(task, path_of("plain"), &diag) == ERR_OK);
    ASSERT(world_unlink(task, path_of("durable"), &diag) == ERR_OK);
}

static void
test_temporary(struct task *task)
{
    struct diag diag;
    struct world_file *one = NULL;
    struct world_file *two = NULL;
    struct world_file *left = NULL;
    ASSERT(world_file_open(task, path_of("tmp/x"), WORLD_FILE_TEMPORARY, &one, &diag) ==
           ERR_UNDEFINED_FILE);
    ASSERT(world_mkdir(task, path_of("tmp"), &diag) == ERR_OK);
    const char *const leftovers[] = {"tmp/sort.1", "tmp/sort.2", "tmp/sort.3"};
    for (int i = 0; i < 3; i++) {
        ASSERT(world_file_open(task, path_of(leftovers[i]), WORLD_FILE_WRITE | WORLD_FILE_CREATE,
                   &left, &diag) == ERR_OK);
        world_file_close(task, left);
    }
    ASSERT(world_temp_directory(task, path_of("tmp"), &diag) == ERR_OK);
    ASSERT(world_temp_directory(task, path_of("tmp"), &diag) == ERR_OK);
    for (int i = 0; i < 3; i++) {
        ASSERT(!world_file_exists(task, path_of(leftovers[i])));
    }

    /* Two of one name are two files, and nobody else sees either. */
    ASSERT(world_file_open(task, path_of("tmp/x"), WORLD_FILE_TEMPORARY, &one, &diag) == ERR_OK);
    ASSERT(world_file_open(task, path_of("tmp/x"), WORLD_FILE_TEMPORARY, &two, &diag) == ERR_OK);
    uint8_t *bytes = mem_alloc(300000);
    memset(bytes, 1, 300000);
    ASSERT(world_file_write(task, one, 0, bytes, 300000, &diag) == ERR_OK);
    ASSERT(world_file_write(task, two, 5, "hello", 5, &diag) == ERR_OK);
    struct names names = {{0}};
    ASSERT(world_list_directory(task, path_of("tmp"), add_name, &names, &diag) == ERR_OK);
    ASSERT(names.text[0] == '\0');
    size_t size = 0;
    ASSERT(world_file_read(task, two, 0, bytes, 100, &size, &diag) == ERR_OK && size == 10);
    ASSERT(memcmp(bytes, "\0\0\0\0\0hello", 10) == 0);
    ASSERT(world_file_read(task, one, 299990, bytes, 100, &size, &diag) == ERR_OK && size == 10);
    ASSERT(bytes[9] == 1);
    mem_free(bytes);
    world_file_close(task, one);
    world_file_close(task, two);
}

static void
test_lock(struct task *task)
{
    struct diag diag;
    struct world_file *one = NULL;
    struct world_file *two = NULL;
    int flags = WORLD_FILE_WRITE | WORLD_FILE_CREATE;
    ASSERT(world_file_open(task, path_of("lock"), flags, &one, &diag) == ERR_OK);
    ASSERT(world_file_open(task, path_of("lock"), flags, &two, &diag) == ERR_OK);
    ASSERT(world_file_lock(task, one, &diag) == ERR_OK);
    ASSERT(world_file_lock(task, two, &diag) == ERR_OBJECT_IN_USE);
    world_file_close(task, one);
    ASSERT(world_file_lock(task, two, &diag) == ERR_OK);
    world_file_close(task, two);
    ASSERT(world_unlink(task, path_of("lock"), &diag) == ERR_OK);
}

static void
test_all(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    ASSERT(world_mkdir(task, root, &diag) == ERR_OK);
    TEST(test_write_and_read(task));
    TEST(test_durable(task));
    TEST(test_directories(task));
    TEST(test_temporary(task));
    TEST(test_lock(task));
}

int
main(void)
{
    const char *const places[] = {"/var/tmp", "/dev/shm"}; /* with O_DIRECT, and without */
    for (int i = 0; i < 2; i++) {
        (void)snprintf(root, sizeof root, "%s/tusk_world_%d", places[i], (int)getpid());
        (void)fprintf(stderr, "operating system, %s\n", root);
        run_os(1, test_all, NULL);
        char sub[128];
        (void)snprintf(sub, sizeof sub, "%s/sub", root);
        ASSERT(rmdir(sub) == 0);
        (void)snprintf(sub, sizeof sub, "%s/tmp", root);
        ASSERT(rmdir(sub) == 0 && rmdir(root) == 0);
    }
    (void)snprintf(root, sizeof root, "data");
    (void)fprintf(stderr, "simulator\n");
    for (uint64_t seed = 1; seed <= 3; seed++) {
        (void)run_sim(seed, test_all, NULL);
    }
    return 0;
}
