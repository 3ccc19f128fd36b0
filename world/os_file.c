/*
 * world/os_file.c - files of the operating system. Every call that may block runs on a helper.
 *
 * One exception: a short read or durable write of a task that has had its worker to itself for a
 * while is done in place. The hand-over costs as much as half such a write (two threads wake up),
 * and with nobody else at work here it would gain nothing. One busy client's commits take this way.
 *
 * A write to a temporary file, too: it goes into the page cache. And a short read of what is there
 * already (RWF_NOWAIT says whether it is), whoever else is at work here.
 *
 * A durable file is opened with O_DIRECT and written with RWF_DSYNC: one system call a commit, no
 * page cache. Where the file system has no O_DIRECT (tmpfs), it is a plain write and fdatasync.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/latch.h"
#include "base/mem.h"
#include "world/os_internal.h"

struct os_file {
    struct world_file file; /* first */
    int fd;
    bool durable;
    bool direct;
    bool temporary;
};

enum operation {
    OP_OPEN,
    OP_READ,
    OP_WRITE,
    OP_WRITE_PARTS,
    OP_SYNC,
    OP_SIZE,
    OP_TRUNCATE,
    OP_PREALLOCATE,
    OP_RENAME,
    OP_UNLINK,
    OP_MKDIR,
    OP_SYNC_DIRECTORY,
    OP_LOCK,
    OP_CLOSE,
};

enum {
    IN_PLACE_SIZE_MAX = 64 * 1024,
};

/* One blocking call, its arguments and what came of it. */
struct call {
    enum operation operation;
    struct os_file *file;
    const char *path, *path2;
    int flags;
    uint64_t offset;
    void *to;
    const void *from;
    const struct world_part *parts;
    size_t size; /* bytes, or parts */
    uint64_t result;
    int error; /* errno, 0: fine */
};

/* Where the file system has no files without a name, one is taken away at once. */
static int
open_temporary(struct call *call)
{
    const char *slash = strrchr(call->path, '/');
    char *path = mem_alloc(strlen(call->path) + sizeof ".XXXXXX");
    size_t size = slash == NULL ? 0 : (size_t)(slash - call->path);
    memcpy(path, call->path, size);
    (void)snprintf(path + size, 2,
        size == 0 && slash == NULL ? "."
        : slash == call->path      ? "/"
                                   : "");
    int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        (void)snprintf(path, strlen(call->path) + sizeof ".XXXXXX", "%s.XXXXXX", call->path);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0) {
            (void)unlink(path);
        }
    }
    int error = fd < 0 ? errno : 0;
    mem_free(path);
    call->file->fd = fd;
    call->file->temporary = true;
    return error;
}

static int
do_open(struct call *call)
{
    struct os_file *file = call->file;
    if ((call->flags & WORLD_FILE_TEMPORARY) != 0) {
        return open_temporary(call);
    }
    int flags = O_CLOEXEC;
    flags |= (call->flags & WORLD_FILE_WRITE) != 0 ? O_RDWR : O_RDONLY;
    flags |= (call->flags & WORLD_FILE_CREATE) != 0 ? O_CREAT : 0;
    flags |= (call->flags & WORLD_FILE_EXCLUSIVE) != 0 ? O_EXCL : 0;
    file->durable = (call->flags & WORLD_FILE_DURABLE) != 0;
    if (file->durable) {
        file->fd = open(call->path, flags | O_DIRECT, 0600);
        file->direct = file->fd >= 0;
        if (file->fd >= 0 || errno != EINVAL) {
            return file->fd < 0 ? errno : 0;
        }
    }
    file->fd = open(call->path, flags, 0600);
    return file->fd < 0 ? errno : 0;
}

static int
do_read(struct call *call)
{
    size_t done = 0;
    while (done < call->size) {
        ssize_t got = pread(call->file->fd, (uint8_t *)call->to + done, call->size - done,
            (off_t)(call->offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    call->result = done;
    return 0;
}

/* False: not all of it is in the page cache. */
static bool
read_cached(struct call *call)
{
    struct iovec part = {.iov_base = call->to, .iov_len = call->size};
    call->result = call->size;
    return preadv2(call->file->fd, &part, 1, (off_t)call->offset, RWF_NOWAIT) ==
           (ssize_t)call->size;
}

static int
do_write(const struct os_file *file, uint64_t offset, const void *from, size_t size)
{
    size_t done = 0;
    while (done < size) {
        struct iovec part = {.iov_base = (uint8_t *)(uintptr_t)from + done, .iov_len = size - done};
        ssize_t put =
            pwritev2(file->fd, &part, 1, (off_t)(offset + done), file->durable ? RWF_DSYNC : 0);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? errno : ENOSPC;
        }
        done += (size_t)put;
    }
    return 0;
}

static int
do_write_parts(const struct call *call)
{
    int error = 0;
    for (size_t i = 0; i < call->size && error == 0; i++) {
        const struct world_part *part = &call->parts[i];
        error = do_write(call->file, part->offset, part->bytes, part->size);
    }
    return error;
}

static int
do_preallocate(struct call *call)
{
    /* Written zeroes, not only fallocate: an unwritten extent would be converted by each write's
     * sync, which costs as much as a growing file. Past the page cache where the file system can:
     * nobody will read them. */
    enum {
        CHUNK = 1024 * 1024
    };
    int fd = call->file->fd;
    int flags = fcntl(fd, F_GETFL);
    bool direct = call->offset % WORLD_BLOCK_SIZE == 0 && flags >= 0 &&
                  fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
    void *zeroes = mem_alloc_aligned(WORLD_BLOCK_SIZE, CHUNK);
    memset(zeroes, 0, CHUNK);
    int error = 0;
    uint64_t at = 0;
    while (at < call->offset && error == 0) {
        size_t size = call->offset - at < CHUNK ? (size_t)(call->offset - at) : CHUNK;
        ssize_t put = pwrite(fd, zeroes, size, (off_t)at);
        if (put < 0 && errno == EINVAL && direct) {
            direct = false;
            error = fcntl(fd, F_SETFL, flags) < 0 ? errno : 0;
            continue;
        }
        error = put < 0 ? errno : (size_t)put < size ? ENOSPC : 0;
        at += size;
    }
    mem_free(zeroes);
    if (direct && fcntl(fd, F_SETFL, flags) < 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && fsync(call->file->fd) != 0) {
        error = errno;
    }
    return error;
}

static int
do_sync_directory(struct call *call)
{
    int fd = open(call->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int error = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return error;
}

/* The name is durable too: what will be synced into the directory is lost if that is lost. */
static int
do_mkdir(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return errno;
    }
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    while (size > 0 && path[size - 1] != '/') {
        size--;
    }
    char parent[PATH_MAX];
    if (size >= sizeof parent) {
        return ENAMETOOLONG;
    }
    memcpy(parent, path, size);
    (void)snprintf(parent + size, sizeof parent - size, size == 0 ? "." : "");
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) { /* one that may be written and not read: nothing can be done */
        return 0;
    }
    /* EINVAL: a file system without. */
    int error = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    (void)close(fd);
    return error;
}

static int
do_lock(struct call *call)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(call->file->fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

static void
run_call(void *arg)
{
    struct call *call = arg;
    struct stat status;
    switch (call->operation) {
    case OP_OPEN:
        call->error = do_open(call);
        break;
    case OP_READ:
        call->error = do_read(call);
        break;
    case OP_WRITE:
        call->error = do_write(call->file, call->offset, call->from, call->size);
        break;
    case OP_WRITE_PARTS:
        call->error = do_write_parts(call);
        break;
    case OP_SYNC:
        call->error = fdatasync(call->file->fd) == 0 ? 0 : errno;
        break;
    case OP_SIZE:
        call->error = fstat(call->file->fd, &status) == 0 ? 0 : errno;
        call->result = call->error == 0 ? (uint64_t)status.st_size : 0;
        break;
    case OP_TRUNCATE:
        call->error = ftruncate(call->file->fd, (off_t)call->offset) == 0 ? 0 : errno;
        break;
    case OP_PREALLOCATE:
        call->error = do_preallocate(call);
        break;
    case OP_RENAME:
        call->error = rename(call->path, call->path2) == 0 ? 0 : errno;
        break;
    case OP_UNLINK:
        call->error = unlink(call->path) == 0 ? 0 : errno;
        break;
    case OP_MKDIR:
        call->error = do_mkdir(call->path);
        break;
    case OP_SYNC_DIRECTORY:
        call->error = do_sync_directory(call);
        break;
    case OP_LOCK:
        call->error = do_lock(call);
        break;
    case OP_CLOSE:
        (void)close(call->file->fd);
        break;
    }
}

static enum err
words(struct diag *diag, const char *what, const char *path, int error)
{
    enum err code = error == ENOENT                                        ? ERR_UNDEFINED_FILE
                    : error == ENOSPC || error == EDQUOT || error == EFBIG ? ERR_DISK_FULL
                                                                           : ERR_IO;
    (void)diag_set(diag, code, "could not %s \"%s\": %s", what, path, strerror(error));
    if (code == ERR_DISK_FULL) {
        diag_hint(diag, "Check free disk space.");
    }
    return code;
}

enum err
os__file_open(
    struct task *task, const char *path, int flags, struct world_file **file, struct diag *diag)
{
    struct os_file *own = mem_zalloc(sizeof *own);
    struct call call = {.operation = OP_OPEN, .file = own, .path = path, .flags = flags};
    os__offload(task, run_call, &call);
    if (call.error != 0) {
        mem_free(own);
        return words(diag, "open file", path, call.error);
    }
    own->file.path = mem_strdup(path);
    *file = &own->file;
    return ERR_OK;
}

static struct os_file *
os_file_of(struct world_file *file)
{
    return (struct os_file *)(void *)file;
}

void
os__file_close(struct task *task, struct world_file *file)
{
    struct os_file *own = os_file_of(file);
    if (own->temporary) { /* freeing gigabytes takes a while */
        struct call call = {.operation = OP_CLOSE, .file = own};
        os__offload(task, run_call, &call);
    } else {
        (void)close(own->fd);
    }
    mem_free(own->file.path);
    mem_free(own);
}

static int
run(struct task *task, struct call *call)
{
    if (call->operation == OP_READ && call->size <= IN_PLACE_SIZE_MAX && !call->file->direct) {
        ASSERT(latches_held() == 0); /* as if it slept */
        if (read_cached(call)) {
            return 0;
        }
    }
    bool is_short =
        call->size <= IN_PLACE_SIZE_MAX &&
        (call->operation == OP_READ ||
            (call->operation == OP_WRITE && (call->file->durable || call->file->temporary)));
    if (is_short && worker__alone(task->worker)) {
        ASSERT(latches_held() == 0); /* as if it slept */
        run_call(call);
        return call->error;
    }
    os__offload(task, run_call, call);
    return call->error;
}

enum err
os__file_read(struct task *task, struct world_file *file, uint64_t offset, void *bytes, size_t size,
    size_t *size_read, struct diag *diag)
{
    struct call call = {.operation = OP_READ,
        .file = os_file_of(file),
        .offset = offset,
        .to = bytes,
        .size = size};
    int error = run(task, &call);
    *size_read = call.result;
    return error == 0 ? ERR_OK : words(diag, "read file", file->path, error);
}

enum err
os__file_write(struct task *task, struct world_file *file, uint64_t offset, const void *bytes,
    size_t size, struct diag *diag)
{
    struct os_file *own = os_file_of(file);
    if (own->direct) {
        ASSERT(offset % WORLD_BLOCK_SIZE == 0 && size % WORLD_BLOCK_SIZE == 0 &&
               (uintptr_t)bytes % WORLD_BLOCK_SIZE == 0);
    }
    struct call call = {
        .operation = OP_WRITE, .file = own, .offset = offset, .from = bytes, .size = size};
    int error = run(task, &call);
    if (error == EIO && own->durable) {
        os__die(task_world(task), "write and sync", file->path, error);
    }
    return error == 0 ? ERR_OK : words(diag, "write to file", file->path, error);
}

enum err
os__file_write_parts(struct task *task, struct world_file *file, const struct world_part *parts,
    unsigned count, struct diag *diag)
{
    struct os_file *own = os_file_of(file);
    ASSERT(!own->durable);
    struct call call = {.operation = OP_WRITE_PARTS, .file = own, .parts = parts, .size = count};
    int error = run(task, &call);
    return error == 0 ? ERR_OK : words(diag, "write to file", file->path, error);
}

void
os__file_sync(struct task *task, struct world_file *file)
{
    struct call call = {.operation = OP_SYNC, .file = os_file_of(file)};
    int error = run(task, &call);
    if (error != 0) {
        os__die(task_world(task), "sync file", file->path, error);
    }
}

enum err
os__file_size(struct task *task, struct world_file *file, uint64_t *size, struct diag *diag)
{
    struct call call = {.operation = OP_SIZE, .file = os_file_of(file)};
    int error = run(task, &call);
    *size = call.result;
    return error == 0 ? ERR_OK : words(diag, "stat file", file->path, error);
}

enum err
os__file_truncate(struct task *task, struct world_file *file, uint64_t size, struct diag *diag)
{
    struct call call = {.operation = OP_TRUNCATE, .file = os_file_of(file), .offset = size};
    int error = run(task, &call);
    return error == 0 ? ERR_OK : words(diag, "truncate file", file->path, error);
}

enum err
os__file_preallocate(struct task *task, struct world_file *file, uint64_t size, struct diag *diag)
{
    struct call call = {.operation = OP_PREALLOCATE, .file = os_file_of(file), .offset = size};
    int error = run(task, &call);
    return error == 0 ? ERR_OK : words(diag, "allocate file", file->path, error);
}

enum err
os__file_lock(struct task *task, struct world_file *file, struct diag *diag)
{
    struct call call = {.operation = OP_LOCK, .file = os_file_of(file)};
    int error = run(task, &call);
    if (error == EAGAIN || error == EACCES) {
        return diag_set(
            diag, ERR_OBJECT_IN_USE, "file \"%s\" is locked by another process", file->path);
    }
    return error == 0 ? ERR_OK : words(diag, "lock file", file->path, error);
}

enum err
os__rename(struct task *task, const char *from, const char *to, struct diag *diag)
{
    struct call call = {.operation = OP_RENAME, .path = from, .path2 = to};
    int error = run(task, &call);
    return error == 0 ? ERR_OK : words(diag, "rename file", from, error);
}

enum err
os__unlink(struct task *task, const char *path, struct diag *diag)
{
    struct call call = {.operation = OP_UNLINK, .path = path};
    int error = run(task, &call);
    return error == 0 ? ERR_OK : words(diag, "remove file", path, error);
}

enum err
os__mkdir(struct task *task, const char *path, struct diag *diag)
{
    struct call call = {.operation = OP_MKDIR, .path = path};
    int error = run(task, &call);
    return error == 0 ? ERR_OK : words(diag, "create directory", path, error);
}

void
os__sync_directory(struct task *task, const char *path)
{
    struct call call = {.operation = OP_SYNC_DIRECTORY, .path = path};
    int error = run(task, &call);
    if (error != 0) {
        os__die(task_world(task), "sync directory", path, error);
    }
}

static int
only_real(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* At start-up only, and short: in place. */
enum err
os__list_directory(struct task *task, const char *path, void (*each)(void *arg, const char *name),
    void *arg, struct diag *diag)
{
    (void)task;
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, only_real, by_bytes);
    if (count < 0) {
        return words(diag, "open directory", path, errno);
    }
    for (int i = 0; i < count; i++) {
        char *name = mem_strdup(entries[i]->d_name);
        each(arg, name);
        mem_free(name);
        mem_free(entries[i]);
    }
    mem_free(entries);
    return ERR_OK;
}

bool
os__file_exists(struct task *task, const char *path)
{
    (void)task;
    return access(path, F_OK) == 0;
}

bool
os__file_in_place(struct task *task, const struct world_file *file)
{
    (void)task;
    struct stat named;
    struct stat open;
    const struct os_file *own = (const struct os_file *)(const void *)file;
    return stat(file->path, &named) == 0 && fstat(own->fd, &open) == 0 &&
           named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

bool
os__file_private(struct task *task, const struct world_file *file)
{
    (void)task;
    struct stat open;
    const struct os_file *own = (const struct os_file *)(const void *)file;
    if (fstat(own->fd, &open) != 0) {
        return false;
    }
    return (open.st_uid == geteuid() && (open.st_mode & (S_IRWXG | S_IRWXO)) == 0) ||
           (open.st_uid == 0 && (open.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0);
}
