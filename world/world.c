/* world/world.c - the door itself: each call goes to the back end. */
#include "world/world.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "world/world_internal.h"

unsigned
world_worker_count(const struct world *world)
{
    return world->reported_count;
}

uint64_t
world_trace_hash(const struct world *world)
{
    return world->trace;
}

void
world__trace(struct world *world, uint64_t what)
{
    world->trace = hash_u64(world->trace ^ (what + 0x9e3779b97f4a7c15ULL));
}

int64_t
world_clock_us(const struct world *world)
{
    return world->backend->clock_us(world);
}

int64_t
world_wall_us(const struct world *world)
{
    return world->backend->wall_us(world);
}

uint64_t
world_random(struct world *world)
{
    return hash_u64(atomic_fetch_add(&world->random_state, 0x9e3779b97f4a7c15ULL));
}

void
world_random_bytes(struct world *world, void *bytes, size_t size)
{
    world->backend->random_bytes(world, bytes, size);
}

void
world_offload(struct task *task, void (*fn)(void *arg), void *arg)
{
    task_world(task)->backend->offload(task, fn, arg);
}

/* One line stays one, whatever a client put into a name that we quote. */
static void
blank_controls(char *line)
{
    for (; *line != '\0'; line++) {
        if ((unsigned char)*line < ' ' || *line == 0x7f) {
            *line = ' ';
        }
    }
}

void
world_log(struct world *world, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    blank_controls(line);
    world->backend->log(world, line);
}

_Noreturn void
world_die(struct world *world, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    world->backend->log(world, line);
    world->backend->die(world);
    __builtin_unreachable();
}

void
world_on_signal(struct world *world, void (*on_signal)(void *arg, int signal), void *arg)
{
    world->on_signal = on_signal;
    world->on_signal_arg = arg;
    if (on_signal != NULL && world->backend->signals_heard != NULL) {
        world->backend->signals_heard(world);
    }
}

#define BACKEND(task) (task_world(task)->backend)

enum err
world_file_open(
    struct task *task, const char *path, int flags, struct world_file **file, struct diag *diag)
{
    return BACKEND(task)->file_open(task, path, flags, file, diag);
}

void
world_file_close(struct task *task, struct world_file *file)
{
    BACKEND(task)->file_close(task, file);
}

enum err
world_file_read(struct task *task, struct world_file *file, uint64_t offset, void *bytes,
    size_t size, size_t *size_read, struct diag *diag)
{
    return BACKEND(task)->file_read(task, file, offset, bytes, size, size_read, diag);
}

enum err
world_file_write(struct task *task, struct world_file *file, uint64_t offset, const void *bytes,
    size_t size, struct diag *diag)
{
    return BACKEND(task)->file_write(task, file, offset, bytes, size, diag);
}

enum err
world_file_write_parts(struct task *task, struct world_file *file, const struct world_part *parts,
    unsigned count, struct diag *diag)
{
    return BACKEND(task)->file_write_parts(task, file, parts, count, diag);
}

void
world_file_sync(struct task *task, struct world_file *file)
{
    BACKEND(task)->file_sync(task, file);
}

enum err
world_file_size(struct task *task, struct world_file *file, uint64_t *size, struct diag *diag)
{
    return BACKEND(task)->file_size(task, file, size, diag);
}

enum err
world_file_truncate(struct task *task, struct world_file *file, uint64_t size, struct diag *diag)
{
    return BACKEND(task)->file_truncate(task, file, size, diag);
}

enum err
world_file_preallocate(struct task *task, struct world_file *file, uint64_t size, struct diag *diag)
{
    return BACKEND(task)->file_preallocate(task, file, size, diag);
}

enum err
world_file_lock(struct task *task, struct world_file *file, struct diag *diag)
{
    return BACKEND(task)->file_lock(task, file, diag);
}

enum err
world_rename(struct task *task, const char *from, const char *to, struct diag *diag)
{
    return BACKEND(task)->rename(task, from, to, diag);
}

enum err
world_unlink(struct task *task, const char *path, struct diag *diag)
{
    return BACKEND(task)->unlink(task, path, diag);
}

enum err
world_mkdir(struct task *task, const char *path, struct diag *diag)
{
    return BACKEND(task)->mkdir(task, path, diag);
}

void
world_sync_directory(struct task *task, const char *path)
{
    BACKEND(task)->sync_directory(task, path);
}

enum err
world_list_directory(struct task *task, const char *path, void (*each)(void *arg, const char *name),
    void *arg, struct diag *diag)
{
    return BACKEND(task)->list_directory(task, path, each, arg, diag);
}

bool
world_file_exists(struct task *task, const char *path)
{
    return BACKEND(task)->file_exists(task, path);
}

bool
world_file_in_place(struct task *task, const struct world_file *file)
{
    return BACKEND(task)->file_in_place(task, file);
}

bool
world_file_private(struct task *task, const struct world_file *file)
{
    return BACKEND(task)->file_private(task, file);
}

static void
gather_name(void *arg, const char *name)
{
    buffer_add(arg, name, strlen(name) + 1);
}

static enum err
remove_files(
    struct task *task, const char *directory, const struct buffer *names, struct diag *diag)
{
    for (size_t at = 0; at < names->size;) {
        const char *name = (const char *)names->data + at;
        struct buffer path = {0};
        buffer_printf(&path, "%s/%s", directory, name);
        buffer_add_u8(&path, 0);
        enum err err = world_unlink(task, (const char *)path.data, diag);
        buffer_destroy(&path);
        TRY(err);
        at += strlen(name) + 1;
    }
    return ERR_OK;
}

enum err
world_temp_directory(struct task *task, const char *path, struct diag *diag)
{
    TRY(world_mkdir(task, path, diag));
    struct buffer names = {0}; /* first all: a directory that is read must not change */
    enum err err = world_list_directory(task, path, gather_name, &names, diag);
    if (err == ERR_OK) {
        err = remove_files(task, path, &names, diag);
    }
    buffer_destroy(&names);
    return err;
}

enum err
world_listen(struct task *task, const char *host, uint16_t port, struct world_listener **listener,
    struct diag *diag)
{
    return BACKEND(task)->listen(task, host, port, listener, diag);
}

enum err
world_accept(struct task *task, struct world_listener *listener, struct world_socket **socket,
    char *peer, struct diag *diag)
{
    return BACKEND(task)->accept(task, listener, socket, peer, diag);
}

void
world_listener_close(struct task *task, struct world_listener *listener)
{
    BACKEND(task)->listener_close(task, listener);
}

enum err
world_connect(struct task *task, const char *host, uint16_t port, struct world_socket **socket,
    struct diag *diag)
{
    return BACKEND(task)->connect(task, host, port, socket, diag);
}

enum err
world_recv(struct task *task, struct world_socket *socket, void *bytes, size_t size,
    int64_t deadline_us, int obey, size_t *size_read, struct diag *diag)
{
    if (socket->tls != NULL) {
        return tls__recv(task, socket, bytes, size, deadline_us, obey, size_read, diag);
    }
    return BACKEND(task)->recv(task, socket, bytes, size, deadline_us, obey, size_read, diag);
}

enum err
world_send(struct task *task, struct world_socket *socket, const void *bytes, size_t size,
    struct diag *diag)
{
    if (socket->tls != NULL) {
        return tls__send(task, socket, bytes, size, diag);
    }
    return BACKEND(task)->send(task, socket, bytes, size, diag);
}

void
world_socket_close(struct task *task, struct world_socket *socket)
{
    if (socket->tls != NULL) {
        tls__close(task, socket);
    }
    BACKEND(task)->socket_close(task, socket);
}

const char *
world_file_path(const struct world_file *file)
{
    return file->path;
}

uint16_t
world_listener_port(const struct world_listener *listener)
{
    return listener->port;
}
