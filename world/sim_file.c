/*
 * world/sim_file.c - the simulator's files: the door, its faults and its crashes.
 *
 * Paths are compared as bytes after taking out doubled and trailing slashes. The directories "",
 * "/", "." and ".." always exist, so a relative path needs no mkdir for its first part. What is
 * behind the door: sim_disk.c.
 *
 * An operation that is to crash does so when what it changes is pending: of its own bytes too, any
 * part may come through. What is written durably is pending while it takes its time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "world/sim_internal.h"

enum {
    WRITE_BACK_ONE_IN = 16,
};

struct sim_file {
    struct world_file file; /* first */
    struct list_node node;  /* sim->files */
    struct sim_inode *inode;
    int flags;
    unsigned process;
};

static struct sim_file *
sim_file_of(struct world_file *file)
{
    return (struct sim_file *)(void *)file;
}

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

static bool
is_directory(const struct sim_world *sim, const char *path, size_t size)
{
    if (sim__is_root(path, size)) {
        return true;
    }
    char *copy = mem_alloc(size + 1);
    memcpy(copy, path, size);
    copy[size] = '\0';
    const struct sim_inode *inode = sim__name_get(sim, copy);
    mem_free(copy);
    return inode != NULL && inode->directory;
}

static enum err
fail(struct diag *diag, enum err code, const char *what, const char *path, const char *why)
{
    return diag_set(diag, code, "could not %s \"%s\": %s", what, path, why);
}

/* The end of an operation that is to crash: at its beginning, or while it takes its time. */
static void
crash_if(struct task *task, bool due)
{
    if (due) {
        if (sim__draw(sim_of(task), 2) == 0) {
            sim__pause(task, SIM_FILE_OTHER);
        }
        sim__crash(sim_of(task), "power cut");
    }
}

static enum err
fault(struct task *task, struct diag *diag, const char *what, const char *path)
{
    world__trace(task_world(task), (uint64_t)SIM_FAULT << 56);
    return fail(diag, ERR_IO, what, path, "Input/output error");
}

static enum err
full(struct diag *diag, const char *what, const char *path)
{
    return fail(diag, ERR_DISK_FULL, what, path, "No space left on device");
}

/* ---- the door -------------------------------------------------------------------------------- */

static enum err
open_inode(
    struct sim_world *sim, const char *path, int flags, struct sim_inode **inode, struct diag *diag)
{
    *inode = sim__name_get(sim, path);
    bool create = (flags & WORLD_FILE_CREATE) != 0;
    if (*inode == NULL && sim__is_root(path, strlen(path))) {
        return fail(diag, ERR_IO, "open file", path, "Is a directory");
    }
    if (*inode == NULL && (!create || !is_directory(sim, path, sim__parent_size(path)))) {
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
        sim__name_add(sim, path, *inode);
    }
    return ERR_OK;
}

/* Without a name; the handle is its only link. */
static enum err
open_temporary(struct sim_world *sim, const char *path, struct sim_inode **inode, struct diag *diag)
{
    if (!is_directory(sim, path, sim__parent_size(path))) {
        return fail(diag, ERR_UNDEFINED_FILE, "open file", path, "No such file or directory");
    }
    *inode = mem_zalloc(sizeof **inode);
    (*inode)->temporary = true;
    return ERR_OK;
}

enum err
sim__file_open(
    struct task *task, const char *path, int flags, struct world_file **file, struct diag *diag)
{
    bool due = sim__io(task);
    sim__pause(task, SIM_FILE_OPEN);
    char *clean = clean_path(path);
    struct sim_inode *inode = NULL;
    if (sim__denied(task, clean)) {
        mem_free(clean);
        return fail(diag, ERR_IO, "open file", path, "No route to host");
    }
    enum err err = (flags & WORLD_FILE_TEMPORARY) != 0
                       ? open_temporary(sim_of(task), clean, &inode, diag)
                       : open_inode(sim_of(task), clean, flags, &inode, diag);
    mem_free(clean);
    crash_if(task, due);
    TRY(err);
    struct sim_file *own = mem_zalloc(sizeof *own);
    inode->links++;
    own->inode = inode;
    own->flags = flags;
    own->file.path = mem_strdup(path);
    own->process = task->process;
    list_push_back(&sim_of(task)->files, &own->node);
    *file = &own->file;
    return ERR_OK;
}

static void
file_free(struct sim_world *sim, struct sim_file *file)
{
    list_remove(&file->node);
    sim__inode_release(sim, file->inode);
    mem_free(file->file.path);
    mem_free(file);
}

void
sim__file_close(struct task *task, struct world_file *file)
{
    struct sim_file *own = sim_file_of(file);
    if (own->inode->locked_by == file) {
        own->inode->locked_by = NULL;
    }
    file_free(sim_of(task), own);
}

/* Those that a crash left open. */
void
sim__files_destroy(struct sim_world *sim)
{
    while (!list_empty(&sim->files)) {
        file_free(sim, LIST_ENTRY(sim->files.next, struct sim_file, node));
    }
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
    struct sim_world *sim = sim_of(task);
    struct sim_file *own = sim_file_of(file);
    check_aligned(own, offset, bytes, size);
    crash_if(task, sim__io(task));
    sim__pause(task, SIM_FILE_READ);
    *size_read = 0;
    if (sim__chance(sim, sim->options.faults.read_error)) {
        return fault(task, diag, "read file", file->path);
    }
    const struct buffer *content = &own->inode->bytes;
    if (offset < content->size && size > 0) {
        size_t left = content->size - (size_t)offset;
        *size_read = size < left ? size : left;
        if (!own->inode->temporary && sim__chance(sim, sim->options.faults.rot)) {
            world__trace(&sim->world, (uint64_t)SIM_FAULT << 56 ^ 1);
            sim__inode_rot(sim, own->inode, offset, *size_read);
        }
        memcpy(bytes, content->data + offset, *size_read);
    }
    return ERR_OK;
}

/* A write or sync that says it is done: is it? */
static bool
is_lie(struct sim_world *sim, uint32_t chance)
{
    bool lie = sim__chance(sim, chance);
    if (lie) {
        world__trace(&sim->world, (uint64_t)SIM_FAULT << 56 ^ 2);
    }
    return lie;
}

static bool
is_lied_to(const struct sim_world *sim, const char *path)
{
    const char *name = sim->options.faults.lie_name;
    const char *slash = strrchr(path, '/');
    return name == NULL || strcmp(slash == NULL ? path : slash + 1, name) == 0;
}

enum err
sim__file_write(struct task *task, struct world_file *file, uint64_t offset, const void *bytes,
    size_t size, struct diag *diag)
{
    struct sim_world *sim = sim_of(task);
    struct sim_file *own = sim_file_of(file);
    struct sim_inode *inode = own->inode;
    bool durable = (own->flags & WORLD_FILE_DURABLE) != 0;
    check_aligned(own, offset, bytes, size);
    if (!is_writable(own)) {
        return fail(diag, ERR_IO, "write to file", file->path, "Bad file descriptor");
    }
    bool due = sim__io(task);
    bool lost = is_lied_to(sim, file->path) && is_lie(sim, sim->options.faults.write_lost);
    if (size > 0 && !sim__inode_write(sim, inode, offset, bytes, size, lost)) {
        crash_if(task, due);
        return full(diag, "write to file", file->path);
    }
    crash_if(task, due);
    sim__pause(task, SIM_FILE_WRITE);
    if (sim__chance(sim, sim->options.faults.write_error)) {
        (void)fault(task, diag, "write to file", file->path);
        if (durable) {
            world_die(&sim->world, "PANIC: %s", diag->message);
        }
        return ERR_IO;
    }
    if (size > 0 && sim__draw(sim, 4) == 0) {
        /* The system may have looked at the caller's bytes only now. */
        (void)sim__inode_write(sim, inode, offset, bytes, size, lost);
    }
    if (durable && !is_lie(sim, sim->options.faults.write_lie)) {
        sim__inode_sync(inode, offset, size);
    } else if (sim__draw(sim, WRITE_BACK_ONE_IN) == 0) {
        sim__inode_write_back(sim, inode);
    }
    return ERR_OK;
}

enum err
sim__file_write_parts(struct task *task, struct world_file *file, const struct world_part *parts,
    unsigned count, struct diag *diag)
{
    for (unsigned i = 0; i < count; i++) {
        TRY(sim__file_write(task, file, parts[i].offset, parts[i].bytes, parts[i].size, diag));
    }
    return ERR_OK;
}

/* A sync that is to fail: of what is dirty, any part has come through. */
static void
fail_sync(struct sim_world *sim, const char *path)
{
    if (sim__chance(sim, sim->options.faults.sync_error)) {
        world_die(&sim->world, "PANIC: could not sync \"%s\": Input/output error", path);
    }
}

void
sim__file_sync(struct task *task, struct world_file *file)
{
    struct sim_world *sim = sim_of(task);
    crash_if(task, sim__io(task));
    sim__pause(task, SIM_FILE_SYNC);
    fail_sync(sim, file->path);
    if (!is_lied_to(sim, file->path) || !is_lie(sim, sim->options.faults.sync_lie)) {
        sim__inode_sync(sim_file_of(file)->inode, 0, UINT64_MAX);
    }
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
    struct sim_world *sim = sim_of(task);
    struct sim_file *own = sim_file_of(file);
    if (!is_writable(own)) {
        return fail(diag, ERR_IO, "truncate file", file->path, "Invalid argument");
    }
    bool due = sim__io(task);
    sim__pause(task, SIM_FILE_OTHER);
    if (sim__chance(sim, sim->options.faults.write_error)) {
        return fault(task, diag, "truncate file", file->path);
    }
    bool room = sim__inode_resize(sim, own->inode, size);
    crash_if(task, due);
    return room ? ERR_OK : full(diag, "truncate file", file->path);
}

enum err
sim__file_preallocate(struct task *task, struct world_file *file, uint64_t size, struct diag *diag)
{
    struct sim_world *sim = sim_of(task);
    struct sim_file *own = sim_file_of(file);
    if (!is_writable(own)) {
        return fail(diag, ERR_IO, "allocate file", file->path, "Bad file descriptor");
    }
    bool due = sim__io(task);
    struct sim_inode *inode = own->inode;
    if (size > inode->bytes.size && !sim__inode_resize(sim, inode, size)) {
        crash_if(task, due);
        return full(diag, "allocate file", file->path);
    }
    if (size > 0) {
        uint8_t *zeroes = mem_zalloc((size_t)size);
        (void)sim__inode_write(sim, inode, 0, zeroes, (size_t)size, false);
        mem_free(zeroes);
    }
    crash_if(task, due);
    sim__pause(task, SIM_FILE_OTHER);
    if (sim__chance(sim, sim->options.faults.write_error)) {
        return fault(task, diag, "allocate file", file->path);
    }
    if (!is_lie(sim, sim->options.faults.write_lie)) {
        sim__inode_sync(inode, 0, size);
    }
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
    struct sim_inode *inode = sim__name_get(sim, from);
    if (inode == NULL || !is_directory(sim, to, sim__parent_size(to))) {
        return fail(diag, ERR_UNDEFINED_FILE, "rename file", from, "No such file or directory");
    }
    const struct sim_inode *target = sim__name_get(sim, to);
    if (inode->directory || (target != NULL && target->directory)) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "the simulator does not rename directories (\"%s\")", from);
    }
    if (target != inode) {
        sim__name_rename(sim, from, to);
    }
    return ERR_OK;
}

/* Of a change of names: its time, and whether it fails. */
static bool
change_fails(struct task *task, bool *due)
{
    struct sim_world *sim = sim_of(task);
    *due = sim__io(task);
    sim__pause(task, SIM_DIRECTORY);
    return sim__chance(sim, sim->options.faults.write_error);
}

enum err
sim__rename(struct task *task, const char *from, const char *to, struct diag *diag)
{
    bool due = false;
    if (change_fails(task, &due)) {
        return fault(task, diag, "rename file", from);
    }
    char *clean_from = clean_path(from);
    char *clean_to = clean_path(to);
    enum err err = rename_clean(sim_of(task), clean_from, clean_to, diag);
    mem_free(clean_from);
    mem_free(clean_to);
    crash_if(task, due);
    return err;
}

enum err
sim__unlink(struct task *task, const char *path, struct diag *diag)
{
    bool due = false;
    if (change_fails(task, &due)) {
        return fault(task, diag, "remove file", path);
    }
    struct sim_world *sim = sim_of(task);
    char *clean = clean_path(path);
    const struct sim_inode *inode = sim__name_get(sim, clean);
    enum err err = ERR_OK;
    if (inode == NULL) {
        err = fail(diag, ERR_UNDEFINED_FILE, "remove file", path, "No such file or directory");
    } else if (inode->directory) {
        err = fail(diag, ERR_IO, "remove file", path, "Is a directory");
    } else {
        sim__name_remove(sim, clean);
    }
    mem_free(clean);
    crash_if(task, due);
    return err;
}

enum err
sim__mkdir(struct task *task, const char *path, struct diag *diag)
{
    bool due = false;
    if (change_fails(task, &due)) {
        return fault(task, diag, "create directory", path);
    }
    struct sim_world *sim = sim_of(task);
    char *clean = clean_path(path);
    enum err err = ERR_OK;
    if (!is_directory(sim, clean, sim__parent_size(clean))) {
        err = fail(diag, ERR_UNDEFINED_FILE, "create directory", path, "No such file or directory");
    } else if (!sim__is_root(clean, strlen(clean)) && sim__name_get(sim, clean) == NULL) {
        struct sim_inode *inode = mem_zalloc(sizeof *inode);
        inode->directory = true;
        sim__name_add(sim, clean, inode);
    }
    crash_if(task, due);
    if (err == ERR_OK &&
        !is_lie(
            sim, sim->options.faults.write_lie)) { /* as the real one does, its parent is synced */
        clean[sim__parent_size(clean)] = '\0';
        sim__names_sync(sim, clean);
    }
    mem_free(clean);
    return err;
}

void
sim__sync_directory(struct task *task, const char *path)
{
    struct sim_world *sim = sim_of(task);
    crash_if(task, sim__io(task));
    sim__pause(task, SIM_FILE_SYNC);
    fail_sync(sim, path);
    if (!is_lie(sim, sim->options.faults.write_lie)) {
        char *clean = clean_path(path);
        sim__names_sync(sim, clean);
        mem_free(clean);
    }
}

enum err
sim__list_directory(struct task *task, const char *path, void (*each)(void *arg, const char *name),
    void *arg, struct diag *diag)
{
    sim__pause(task, SIM_DIRECTORY);
    struct sim_world *sim = sim_of(task);
    char *clean = clean_path(path);
    enum err err = ERR_OK;
    if (sim__denied(task, clean)) {
        err = fail(diag, ERR_IO, "open directory", path, "No route to host");
    } else if (!is_directory(sim, clean, strlen(clean))) {
        err = fail(diag, ERR_UNDEFINED_FILE, "open directory", path, "No such file or directory");
    }
    for (size_t i = 0; err == ERR_OK && i < sim->names.count; i++) {
        const char *name;
        if (sim__is_child(sim->names.entries[i].path, clean, &name)) {
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
    bool exists = sim__is_root(clean, strlen(clean)) || sim__name_get(sim, clean) != NULL;
    mem_free(clean);
    return exists;
}

bool
sim__file_in_place(struct task *task, const struct world_file *file)
{
    struct sim_world *sim = sim_of(task);
    char *clean = clean_path(file->path);
    const struct sim_inode *named = sim__name_get(sim, clean);
    mem_free(clean);
    return named == ((const struct sim_file *)(const void *)file)->inode;
}

bool
sim__file_private(struct task *task, const struct world_file *file)
{
    (void)task;
    (void)file;
    return true; /* there are no others */
}

/* Open files stay open in a memory that nobody sees; what counts is that the locks go. */
void
sim__files_kill(struct sim_world *sim, unsigned process)
{
    LIST_FOREACH (node, &sim->files) {
        struct sim_file *own = LIST_ENTRY(node, struct sim_file, node);
        if (own->process == process && own->inode->locked_by == &own->file) {
            own->inode->locked_by = NULL;
        }
    }
}
