/* world/whole_file.c - small files that are read and replaced whole. Made of the door's other
 * calls, so that both back ends have it. */
#include "base/bytes.h"
#include "world/world.h"

#include <stdio.h>

enum {
    PATH_SIZE_MAX = 4096,
};

enum err
world_file_read_all(
    struct task *task, const char *path, size_t size_max, struct buffer *bytes, struct diag *diag)
{
    struct world_file *file = NULL;
    TRY(world_file_open(task, path, WORLD_FILE_READ, &file, diag));
    uint64_t size = 0;
    size_t got = 0;
    enum err err = world_file_size(task, file, &size, diag);
    if (err == ERR_OK && size > size_max) {
        err = diag_set(diag, ERR_CONFIG_FILE, "file \"%s\" is too large", path);
    }
    if (err == ERR_OK && size > 0) {
        size_t before = bytes->size;
        err = world_file_read(task, file, 0, buffer_reserve(bytes, size), size, &got, diag);
        bytes->size = before + (err == ERR_OK ? got : 0);
    }
    world_file_close(task, file);
    return err;
}

enum err
world_file_replace(struct task *task, const char *directory, const char *name, const void *bytes,
    size_t size, struct diag *diag)
{
    char path[PATH_SIZE_MAX];
    char temporary[PATH_SIZE_MAX];
    struct world_file *file = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    (void)snprintf(temporary, sizeof temporary, "%s/%s.new", directory, name);
    TRY(world_file_open(task, temporary, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &file, diag));
    enum err err = world_file_truncate(task, file, 0, diag); /* one that a crash left */
    if (err == ERR_OK) {
        err = world_file_write(task, file, 0, bytes, size, diag);
    }
    if (err == ERR_OK) {
        world_file_sync(task, file);
    }
    world_file_close(task, file);
    TRY(err);
    TRY(world_rename(task, temporary, path, diag));
    world_sync_directory(task, directory);
    return ERR_OK;
}
