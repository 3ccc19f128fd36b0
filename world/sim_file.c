/*
 * world/sim_file.c - the simulator's files: a tree of names over inodes in memory.
 *
 * Both the names and the contents exist twice, living and durable (struct sim_inode, struct
 * sim_names): a write changes the living bytes and notes its range, a sync copies the noted ranges
 * over, world_sync_directory copies the names of one directory over. The durable half is what a
 * crash starts from.
 *
 * Paths are compared as bytes after taking out doubled and trailing slashes. The directories "",
 * "/", "." and ".." always exist, so a relative path needs no mkdir for its first part.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "world/sim_internal.h"

struct sim_file {
    struct world_file file; /* first */
    struct sim_inode *inode;
    int flags;
};

static struct sim_file *
sim_file_of(struct world_file *file)
{
    return (struct sim_file *)(void *)file;
}

/* ---- names ----------------------------------------------------------------------------------- */

static char *
clean_path(const char *path)
{
    char *clean = mem_alloc(strlen(path) + 1);
    size_t size = 0;
    for (const char *at = path; *at != '\0'; at++) {
        if (*at != '/' || size == 0 || clean[size - 1] != '/') {
            clean[size++] = *at;
        }
    }
    if (size > 1 && clean[size - 1] == '/') {
        size--;
    }
    clean[size] = '\0';
    return clean;
}

/* The length of the directory part, without its slash; 0 for a plain name or a child of "/". */
static size_t
parent_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

/* Where `path` is or would stand. */
static size_t
names_find(const struct sim_names *names, const char *path, bool *found)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names->entries[middle].path, path);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

static struct sim_inode *
names_get(const struct sim_names *names, const char *path)
{
    bool found;
    size_t index = names_find(names, path, &found);
    return found ? names->entries[index].inode : NULL;
}

static void
inode_release(struct sim_inode *inode)
{
    ASSERT(inode->links > 0);
    if (--inode->links == 0) {
        buffer_destroy(&inode->bytes);
        buffer_destroy(&inode->durable);
        mem_free(inode->unsynced);
        mem_free(inode);
    }
}

static void
names_remove(struct sim_names *names, const char *path)
{
    bool found;
    size_t index = names_find(names, path, &found);
    if (found) {
        struct sim_entry gone = names->entries[index];
        names->count--;
        memmove(&names->entries[index], &names->entries[index + 1],
            (names->count - index) * sizeof *names->entries);
        mem_free(gone.path);
        inode_release(gone.inode);
    }
}

static void
names_put(struct sim_names *names, const char *path, struct sim_inode *inode)
{
    inode->links++;
    bool found;
    size_t index = names_find(names, path, &found);
    if (found) {
        inode_release(names->entries[index].inode);
        names->entries[index].inode = inode;
        return;
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 16 : names->capacity * 2;
        names->entries = mem_realloc(names->entries, names->capacity * sizeof *names->entries);
    }
    memmove(&names->entries[index + 1], &names->entries[index],
        (names->count - index) * sizeof *names->entries);
    names->entries[index] = (struct sim_entry){.path = mem_strdup(path), .inode = inode};
    names->count++;
}

static void
names_destroy(struct sim_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        mem_free(names->entries[i].path);
        inode_release(names->entries[i].inode);
    }
    mem_free(names->entries);
}

void
sim__files_destroy(struct sim_world *sim)
{
    names_destroy(&sim->names);
    names_destroy(&sim->durable);
}

static bool
is_root(const char *path, size_t size)
{
    return size == 0 || (size == 1 && (path[0] == '/' || path[0] == '.')) ||
           (size == 2 && memcmp(path, "..", 2) == 0);
}

static bool
is_directory(const struct sim_world *sim, const char *path, size_t size)
{
    if (is_root(path, size)) {
        return true;
    }
    char *copy = mem_alloc(size + 1);
    memcpy(copy, path, size);
    copy[size] = '\0';
    const struct sim_inode *inode = names_get(&sim->names, copy);
    mem_free(copy);
    return inode != NULL && inode->directory;
}

/* Whether `path` stands directly in `directory`; *name: its last part. */
static bool
is_child(const char *path, const char *directory, const char **name)
{
    size_t size = parent_size(path);
    *name = strrchr(path, '/') == NULL ? path : path + size + 1;
    if (size == 0) {
        return path[0] == '/' ? strcmp(directory, "/") == 0
                              : directory[0] == '\0' || strcmp(directory, ".") == 0;
    }
    return strlen(directory) == size && memcmp(path, directory, size) == 0;
}

/* ---- contents -------------------------------------------------------------------------------- */

static void
note_unsynced(struct sim_inode *inode, uint64_t offset, uint64_t size)
{
    if (inode->unsynced_count == inode->unsynced_capacity) {
        inode->unsynced_capacity =
            inode->unsynced_capacity == 0 ? 16 : inode->unsynced_capacity * 2;
        inode->unsynced =
            mem_realloc(inode->unsynced, inode->unsynced_capacity * sizeof *inode->unsynced);
    }
    inode->unsynced[inode->unsynced_count++] = (struct sim_range){.offset = offset, .size = size};
}

static void
content_resize(struct buffer *bytes, uint64_t size)
{
    if (size > bytes->size) {
        size_t more = (size_t)size - bytes->size;
        memset(buffer_extend(bytes, more), 0, more);
    }
    bytes->size = (size_t)size;
}

static void
make_durable(struct sim_inode *inode)
{
    content_resize(&inode->durable, inode->bytes.size);
    for (size_t i = 0; i < inode->unsynced_count; i++) {
        struct sim_range range = inode->unsynced[i];
        if (range.offset < inode->bytes.size) {
            uint64_t left = inode->bytes.size - range.offset;
            uint64_t size = range.size < left ? range.size : left;
            memcpy(
                inode->durable.data + range.offset, inode->bytes.data + range.offset, (size_t)size);
        }
    }
    inode->unsynced_count = 0;
    ASSERT_SLOW(slice_equal(slice_of(inode->bytes.data, inode->bytes.size),
        slice_of(inode->durable.data, inode->durable.size)));
}

static enum err
fail(struct diag *diag, enum err code, const char *what, const char *path, const char *why)
{
    return diag_set(diag, code, "could not %s \"%s\": %s", what, path, why);
}

/* ---- the door -------------------------------------------------------------------------------- */

static enum err
open_inode(
    struct sim_world *sim, const char *path, int flags, struct sim_inode **inode, struct diag *diag)
{
    *inode = names_get(&sim->names, path);
    bool create = (flags & WORLD_FILE_CREATE) != 0;
    if (*inode == NULL && is_root(path, strlen(path))) {
        return fail(diag, ERR_IO, "open file", path, "Is a directory");
    }
    if (*inode == NULL && (!create || !is_directory(sim, path, parent_size(path)))) {
        return fail(diag, ERR_UNDEFINED_FILE, "open file", path, "No such file or directory");
    }
    if (*inode != NULL && create && (flags & WORLD_FILE_EXCLUSIVE) != 0) {
        return fail(diag, ERR_IO, "open file", path, "File exists");
    }
    if (*inode != NULL && (*inode)->directory) {
        return fail(diag, ERR_IO, "open file", path, "Is a directory");
    }
    if (*inode == NULL) {
        *inode = mem_zalloc(sizeof **inode);
        names_put(&sim->names, path, *inode);
    }
    return ERR_OK;
}

/* Without a name; the handle is its only link. */
static enum err
open_temporary(struct sim_world *sim, const char *path, struct sim_inode **inode, struct diag *diag)
{
    if (!is_directory(sim, path, parent_size(path))) {
        return fail(diag, ERR_UNDEFINED_FILE, "open file", path, "No such file or directory");
    }
    *inode = mem_zalloc(sizeof **inode);
    return ERR_OK;
}

enum err
sim__file_open(
    struct task *task, const char *path, int flags, struct world_file **file, struct diag *diag)
{
    sim__pause(task, SIM_FILE_OPEN);
    char *clean = clean_path(path);
    struct sim_inode *inode = NULL;
    enum err err = (flags & WORLD_FILE_TEMPORARY) != 0
                       ? open_temporary(sim_of(task), clean, &inode, diag)
                       : open_inode(sim_of(task), clean, flags, &inode, diag);
    mem_free(clean);
    TRY(err);
    struct sim_file *own = mem_zalloc(sizeof *own);
    inode->links++;
    own->inode = inode;
    own->flags = flags;
    own->file.path = mem_strdup(path);
    *file = &own->file;
    return ERR_OK;
}

void
sim__file_close(struct task *task, struct world_file *file)
{
    (void)task;
    struct sim_file *own = sim_file_of(file);
    if (own->inode->locked_by == file) {
        own->inode->locked_by = NULL;
    }
    inode_release(own->inode);
    mem_free(own->file.path);
    mem_free(own);
}

static bool
is_writable(const struct sim_file *file)
{
    return (file->flags & (WORLD_FILE_WRITE | WORLD_FILE_TEMPORARY)) != 0;
}

static void
check_aligned(const struct sim_file *file, uint64_t offset, const void *bytes, size_t size)
{
    if ((file->flags & WORLD_FILE_DURABLE) != 0) {
        ASSERT(offset % WORLD_BLOCK_SIZE == 0 && size % WORLD_BLOCK_SIZE == 0 &&
               (uintptr_t)bytes % WORLD_BLOCK_SIZE == 0);
    }
}

enum err
sim__file_read(struct task *task, struct world_file *file, uint64_t offset, void *bytes,
    size_t size, size_t *size_read, struct diag *diag)
{
    (void)diag;
    struct sim_file *own = sim_file_of(file);
    check_aligned(own, offset, bytes, size);
    sim__pause(task, SIM_FILE_READ);
    const struct buffer *content = &own->inode->bytes;
    *size_read = 0;
    if (offset < content->size && size > 0) {
        size_t left = content->size - (size_t)offset;
        *size_read = size < left ? size : left;
        memcpy(bytes, content->data + offset, *size_read);
    }
    return ERR_OK;
}

enum err
sim__file_write(struct task *task, struct world_file *file, uint64_t offset, const void *bytes,
    size_t size, struct diag *diag)
{
    struct sim_file *own = sim_file_of(file);
    check_aligned(own, offset, bytes, size);
    if (!is_writable(own)) {
        return fail(diag, ERR_IO, "write to file", file->path, "Bad file descriptor");
    }
    sim__pause(task, SIM_FILE_WRITE);
    if (size == 0) {
        return ERR_OK;
    }
    struct sim_inode *inode = own->inode;
    if (offset + size > inode->bytes.size) {
        content_resize(&inode->bytes, offset + size);
    }
    memcpy(inode->bytes.data + offset, bytes, size);
    if ((own->flags & WORLD_FILE_TEMPORARY) != 0) {
        return ERR_OK; /* no crash will ask for it */
    }
    note_unsynced(inode, offset, size);
    if ((own->flags & WORLD_FILE_DURABLE) != 0) {
        make_durable(inode);
    }
    return ERR_OK;
}

void
sim__file_sync(struct task *task, struct world_file *file)
{
    sim__pause(task, SIM_FILE_SYNC);
    make_durable(sim_file_of(file)->inode);
}

enum err
sim__file_size(struct task *task, struct world_file *file, uint64_t *size, struct diag *diag)
{
    (void)diag;
    sim__pause(task, SIM_FILE_OTHER);
    *size = sim_file_of(file)->inode->bytes.size;
    return ERR_OK;
}

enum err
sim__file_truncate(struct task *task, struct world_file *file, uint64_t size, struct diag *diag)
{
    struct sim_file *own = sim_file_of(file);
    if (!is_writable(own)) {
        return fail(diag, ERR_IO, "truncate file", file->path, "Invalid argument");
    }
    sim__pause(task, SIM_FILE_OTHER);
    uint64_t old = own->inode->bytes.size;
    content_resize(&own->inode->bytes, size);
    /* What was cut off and grown again reads as zeroes, also where the durable half differs. */
    uint64_t low = old < size ? old : size;
    if (old != size) {
        note_unsynced(own->inode, low, UINT64_MAX - low);
    }
    return ERR_OK;
}

enum err
sim__file_preallocate(struct task *task, struct world_file *file, uint64_t size, struct diag *diag)
{
    struct sim_file *own = sim_file_of(file);
    if (!is_writable(own)) {
        return fail(diag, ERR_IO, "allocate file", file->path, "Bad file descriptor");
    }
    sim__pause(task, SIM_FILE_OTHER);
    struct sim_inode *inode = own->inode;
    if (size > inode->bytes.size) {
        content_resize(&inode->bytes, size);
    }
    if (size > 0) {
        memset(inode->bytes.data, 0, (size_t)size);
    }
    note_unsynced(inode, 0, size);
    make_durable(inode);
    return ERR_OK;
}

enum err
sim__file_lock(struct task *task, struct world_file *file, struct diag *diag)
{
    sim__pause(task, SIM_FILE_OTHER);
    struct sim_inode *inode = sim_file_of(file)->inode;
    if (inode->locked_by != NULL && inode->locked_by != file) {
        return diag_set(
            diag, ERR_OBJECT_IN_USE, "file \"%s\" is locked by another process", file->path);
    }
    inode->locked_by = file;
    return ERR_OK;
}

static enum err
rename_clean(struct sim_world *sim, const char *from, const char *to, struct diag *diag)
{
    struct sim_inode *inode = names_get(&sim->names, from);
    if (inode == NULL || !is_directory(sim, to, parent_size(to))) {
        return fail(diag, ERR_UNDEFINED_FILE, "rename file", from, "No such file or directory");
    }
    const struct sim_inode *target = names_get(&sim->names, to);
    if (inode->directory || (target != NULL && target->directory)) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "the simulator does not rename directories (\"%s\")", from);
    }
    if (target != inode) {
        names_put(&sim->names, to, inode);
        names_remove(&sim->names, from);
    }
    return ERR_OK;
}

enum err
sim__rename(struct task *task, const char *from, const char *to, struct diag *diag)
{
    sim__pause(task, SIM_DIRECTORY);
    char *clean_from = clean_path(from);
    char *clean_to = clean_path(to);
    enum err err = rename_clean(sim_of(task), clean_from, clean_to, diag);
    mem_free(clean_from);
    mem_free(clean_to);
    return err;
}

enum err
sim__unlink(struct task *task, const char *path, struct diag *diag)
{
    sim__pause(task, SIM_DIRECTORY);
    struct sim_world *sim = sim_of(task);
    char *clean = clean_path(path);
    const struct sim_inode *inode = names_get(&sim->names, clean);
    enum err err = ERR_OK;
    if (inode == NULL) {
        err = fail(diag, ERR_UNDEFINED_FILE, "remove file", path, "No such file or directory");
    } else if (inode->directory) {
        err = fail(diag, ERR_IO, "remove file", path, "Is a directory");
    } else {
        names_remove(&sim->names, clean);
    }
    mem_free(clean);
    return err;
}

enum err
sim__mkdir(struct task *task, const char *path, struct diag *diag)
{
    sim__pause(task, SIM_DIRECTORY);
    struct sim_world *sim = sim_of(task);
    char *clean = clean_path(path);
    enum err err = ERR_OK;
    if (!is_directory(sim, clean, parent_size(clean))) {
        err = fail(diag, ERR_UNDEFINED_FILE, "create directory", path, "No such file or directory");
    } else if (!is_root(clean, strlen(clean)) && names_get(&sim->names, clean) == NULL) {
        struct sim_inode *inode = mem_zalloc(sizeof *inode);
        inode->directory = true;
        names_put(&sim->names, clean, inode);
    }
    mem_free(clean);
    return err;
}

void
sim__sync_directory(struct task *task, const char *path)
{
    sim__pause(task, SIM_FILE_SYNC);
    struct sim_world *sim = sim_of(task);
    char *clean = clean_path(path);
    const char *name;
    for (size_t i = sim->durable.count; i-- > 0;) {
        const char *there = sim->durable.entries[i].path;
        if (is_child(there, clean, &name) && names_get(&sim->names, there) == NULL) {
            names_remove(&sim->durable, there);
        }
    }
    for (size_t i = 0; i < sim->names.count; i++) {
        if (is_child(sim->names.entries[i].path, clean, &name)) {
            names_put(&sim->durable, sim->names.entries[i].path, sim->names.entries[i].inode);
        }
    }
    mem_free(clean);
}

enum err
sim__list_directory(struct task *task, const char *path, void (*each)(void *arg, const char *name),
    void *arg, struct diag *diag)
{
    sim__pause(task, SIM_DIRECTORY);
    struct sim_world *sim = sim_of(task);
    char *clean = clean_path(path);
    enum err err = ERR_OK;
    if (!is_directory(sim, clean, strlen(clean))) {
        err = fail(diag, ERR_UNDEFINED_FILE, "open directory", path, "No such file or directory");
    }
    for (size_t i = 0; err == ERR_OK && i < sim->names.count; i++) {
        const char *name;
        if (is_child(sim->names.entries[i].path, clean, &name)) {
            char *copy = mem_strdup(name);
            each(arg, copy);
            mem_free(copy);
        }
    }
    mem_free(clean);
    return err;
}

bool
sim__file_exists(struct task *task, const char *path)
{
    struct sim_world *sim = sim_of(task);
    char *clean = clean_path(path);
    bool exists = is_root(clean, strlen(clean)) || names_get(&sim->names, clean) != NULL;
    mem_free(clean);
    return exists;
}
