/*
 * tests/faults/disk_faults.c - a disk that fails on demand: a library for LD_PRELOAD.
 *
 * The file that TUSK_FAULTS names holds one order a line, or nothing:
 *
 *     OPERATION PATH-PART WHAT SKIP COUNT
 *
 * OPERATION: read, write (of data), grow (a write beyond the file's end, a new file, a truncation
 * upward: what needs room), sync, open, change (whatever changes the disk: write, sync, new file,
 * rename, unlink, mkdir, truncate). PATH-PART: any part of the file's path, "*" for all.
 * WHAT: an errno, 0 to kill the process, or 1000 + n to take n milliseconds longer. The first SKIP
 * matching calls pass, the next COUNT fail (0: all). Counting begins anew when the file's content
 * changes. System calls are made directly, so nothing here depends on the order of libraries.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    ORDERS_MAX = 8,
    TEXT_MAX = 4096,
    SLOW = 1000,
};

enum what {
    WHAT_READ = 1,
    WHAT_WRITE = 2,
    WHAT_GROW = 4,
    WHAT_SYNC = 8,
    WHAT_OPEN = 16,
    WHAT_CHANGE = 32,
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* the next two */
static char known[TEXT_MAX];
static long seen[ORDERS_MAX];

static int
kind_of(const char *name)
{
    static const char *const names[] = {"read", "write", "grow", "sync", "open", "change"};
    for (int i = 0; i < 6; i++) {
        if (strcmp(name, names[i]) == 0) {
            return 1 << i;
        }
    }
    return 0;
}

/* The order's errno, -1 to be killed, 0: nothing. */
static int
obey(const char *line, int index, int kinds, const char *path)
{
    char operation[16];
    char part[256];
    int what = 0;
    long skip = 0;
    long count = 0;
    if (sscanf(line, "%15s %255s %d %ld %ld", operation, part, &what, &skip, &count) != 5 ||
        (kind_of(operation) & kinds) == 0 ||
        (strcmp(part, "*") != 0 && strstr(path, part) == NULL)) {
        return 0;
    }
    long number = seen[index]++;
    if (number < skip || (count > 0 && number >= skip + count)) {
        return 0;
    }
    return what == 0 ? -1 : what;
}

static int
ask(int kinds, const char *path)
{
    const char *orders = getenv("TUSK_FAULTS");
    if (orders == NULL) {
        return 0;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, orders, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    char text[TEXT_MAX];
    ssize_t size = syscall(SYS_read, fd, text, sizeof text - 1);
    (void)syscall(SYS_close, fd);
    text[size < 0 ? 0 : size] = '\0';
    int error = 0;
    (void)pthread_mutex_lock(&mutex);
    if (strcmp(text, known) != 0) {
        memcpy(known, text, sizeof known);
        memset(seen, 0, sizeof seen);
    }
    char *rest = text;
    for (int i = 0; i < ORDERS_MAX && rest != NULL && error == 0; i++) {
        char *line = strsep(&rest, "\n");
        error = obey(line, i, kinds, path);
    }
    (void)pthread_mutex_unlock(&mutex);
    if (error < 0) {
        (void)kill(getpid(), SIGKILL);
    }
    if (error >= SLOW) {
        (void)usleep((useconds_t)(error - SLOW) * 1000);
        error = 0;
    }
    return error;
}

static int
ask_of(int kinds, int fd)
{
    char link[64];
    char path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0 || path[0] != '/') {
        return 0;
    }
    path[size] = '\0';
    return ask(kinds, path);
}

static int
grows(int fd, off_t end)
{
    struct stat status;
    return fstat(fd, &status) == 0 && end > status.st_size ? WHAT_GROW : 0;
}

static long
refuse(int error)
{
    errno = error;
    return -1;
}

ssize_t
pread(int fd, void *to, size_t size, off_t offset)
{
    int error = ask_of(WHAT_READ, fd);
    return error != 0 ? refuse(error) : syscall(SYS_pread64, fd, to, size, offset);
}

/* Only asked whether it is in the page cache: no, so that pread follows. */
ssize_t
preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    (void)fd;
    (void)parts;
    (void)count;
    (void)offset;
    (void)flags;
    return refuse(EAGAIN);
}

ssize_t
pwrite(int fd, const void *from, size_t size, off_t offset)
{
    int error = ask_of(WHAT_WRITE | WHAT_CHANGE | grows(fd, offset + (off_t)size), fd);
    return error != 0 ? refuse(error) : syscall(SYS_pwrite64, fd, from, size, offset);
}

ssize_t
pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    int error = ask_of(WHAT_WRITE | WHAT_CHANGE | grows(fd, offset + (off_t)size), fd);
    return error != 0 ? refuse(error)
                      : syscall(SYS_pwritev2, fd, parts, count, (long)offset, 0L, flags);
}

int
fsync(int fd)
{
    int error = ask_of(WHAT_SYNC | WHAT_CHANGE, fd);
    return (int)(error != 0 ? refuse(error) : syscall(SYS_fsync, fd));
}

int
fdatasync(int fd)
{
    int error = ask_of(WHAT_SYNC | WHAT_CHANGE, fd);
    return (int)(error != 0 ? refuse(error) : syscall(SYS_fdatasync, fd));
}

int
open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    unsigned mode = va_arg(more, unsigned);
    va_end(more);
    bool creates =
        ((flags & O_CREAT) != 0 && access(path, F_OK) != 0) || (flags & O_TMPFILE) == O_TMPFILE;
    int error = ask(WHAT_OPEN | (creates ? WHAT_GROW | WHAT_CHANGE : 0), path);
    return (int)(error != 0 ? refuse(error) : syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int
ftruncate(int fd, off_t size)
{
    int error = ask_of(WHAT_CHANGE | grows(fd, size), fd);
    return (int)(error != 0 ? refuse(error) : syscall(SYS_ftruncate, fd, size));
}

int
rename(const char *from, const char *to)
{
    int error = ask(WHAT_CHANGE, from);
    return (
        int)(error != 0 ? refuse(error) : syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int
unlink(const char *path)
{
    int error = ask(WHAT_CHANGE, path);
    return (int)(error != 0 ? refuse(error) : syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int
mkdir(const char *path, mode_t mode)
{
    int error = ask(WHAT_CHANGE | WHAT_GROW, path);
    return (int)(error != 0 ? refuse(error) : syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
