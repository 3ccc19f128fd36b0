/* router/upstream.c - one connection to a shard: the client's side of the protocol. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "router/router.h"
#include "shard/route.h"

enum {
    READ_SIZE = 16 * 1024,
    KEEP_SIZE = 64 * 1024,
    CANCEL_SIZE = 16,
};

enum err
upstream_error(struct slice body, const char *node, struct diag *diag)
{
    const char *state = wire_error_field(body, 'C');
    enum err code = err_of_sqlstate(state);
    code = code == ERR_OK ? ERR_CONNECTION_FAILURE : code;
    (void)diag_set(diag, code, "%s", wire_error_field(body, 'M'));
    const char *detail = wire_error_field(body, 'D');
    if (detail[0] != '\0') {
        diag_detail(diag, "%s", detail);
    }
    const char *hint = wire_error_field(body, 'H');
    if (hint[0] != '\0') {
        diag_hint(diag, "%s", hint);
    }
    diag_names(diag, wire_error_field(body, 's'), wire_error_field(body, 't'),
        wire_error_field(body, 'c'), wire_error_field(body, 'n'));
    diag_context(diag, "shard \"%s\"", node);
    return code;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

enum err
upstream_flush(struct task *task, struct upstream *upstream, struct diag *diag)
{
    if (upstream->broken) {
        return diag_set(
            diag, ERR_SHARD_LOST, "connection to shard \"%s\" lost", upstream->pool->shard->name);
    }
    if (upstream->out.size == 0) {
        return ERR_OK;
    }
    enum err err = world_send(task, upstream->socket, upstream->out.data, upstream->out.size, diag);
    upstream->out.size = 0;
    if (upstream->out.capacity > KEEP_SIZE) {
        buffer_destroy(&upstream->out);
    }
    if (err != ERR_OK) {
        upstream->broken = upstream->lost = true;
        err = diag_set(
            diag, ERR_SHARD_LOST, "connection to shard \"%s\" lost", upstream->pool->shard->name);
    }
    return err;
}

static enum err
connect_socket(struct task *task, struct upstream *upstream, int64_t deadline_us, struct diag *diag,
    struct world_socket **socket)
{
    const struct router *router = upstream->pool->worker->router;
    const struct router_node *shard = upstream->pool->shard;
    struct login_target target = {
        .host = shard->host, .port = shard->port, .mode = router->tls_mode, .tls = router->tls};
    return login_connect(task, &target, &upstream->encrypted, deadline_us, socket, diag);
}

/* Over a connection of its own, as the protocol wants it. The client waits meanwhile: it has asked
 * for this. */
void
upstream_cancel(struct task *task, struct upstream *upstream)
{
    struct world_socket *socket = NULL;
    int64_t deadline_us = world_clock_us(task_world(task)) +
                          upstream->pool->worker->router->limits.connect_timeout_us;
    if (connect_socket(task, upstream, deadline_us, NULL, &socket) != ERR_OK) {
        return; /* then it runs to its end */
    }
    uint8_t request[CANCEL_SIZE];
    store_be32(request, CANCEL_SIZE);
    store_be32(request + 4, WIRE_CANCEL_REQUEST);
    store_be32(request + 8, upstream->pid);
    store_be32(request + 12, upstream->secret);
    if (world_send(task, socket, request, sizeof request, NULL) == ERR_OK) {
        /* Until the shard hangs up: from then on the cancel cannot meet a later statement. */
        uint8_t nothing[8];
        size_t got = 0;
        (void)!world_recv(task, socket, nothing, sizeof nothing,
            world_clock_us(task_world(task)) + 1000000, 0, &got, NULL);
    }
    world_socket_close(task, socket);
}

static enum err
receive(struct task *task, struct upstream *upstream, size_t size, int64_t deadline_us, int obey,
    struct diag *diag)
{
    struct buffer *in = &upstream->in;
    while (in->size - upstream->at < size) {
        if (upstream->at > 0) {
            buffer_consume(in, upstream->at);
            upstream->at = 0;
        }
        if (in->size == 0 && in->capacity > KEEP_SIZE && size < KEEP_SIZE) {
            buffer_destroy(in);
        }
        size_t room = size > READ_SIZE ? size : READ_SIZE;
        room = room > 1024 * 1024 ? 1024 * 1024 : room;
        uint8_t *to = buffer_reserve(in, room);
        size_t got = 0;
        enum err err = world_recv(task, upstream->socket, to, room, deadline_us,
            obey | TASK_CANCEL | TASK_TERMINATE, &got, diag);
        if (err == ERR_NOTIFIED || (err == ERR_QUERY_CANCELED && obey != 0)) {
            return err;
        }
        if (err == ERR_QUERY_CANCELED) {
            task_interrupt_clear(task, TASK_CANCEL);
            upstream->canceled = true;
            upstream_cancel(task, upstream);
            continue;
        }
        if (err == ERR_IDLE_SESSION_TIMEOUT) {
            err = diag_set(
                diag, ERR_SHARD_LOST, "shard \"%s\" does not answer", upstream->pool->shard->name);
        }
        if (err == ERR_CONNECTION_FAILURE || (err == ERR_OK && got == 0)) {
            err = diag_set(diag, ERR_SHARD_LOST, "shard \"%s\" closed the connection unexpectedly",
                upstream->pool->shard->name);
        }
        if (err != ERR_OK) {
            upstream->broken = true;
            upstream->lost = err == ERR_SHARD_LOST;
            return err;
        }
        in->size += got;
    }
    return ERR_OK;
}

static size_t
message_size(const struct upstream *upstream)
{
    return (size_t)load_be32(upstream->in.data + upstream->at + 1) + 1;
}

static enum err
next(struct task *task, struct upstream *upstream, int64_t deadline_us, int obey,
    struct upstream_message *message, struct diag *diag)
{
    TRY(receive(task, upstream, 5, deadline_us, obey, diag));
    size_t size = message_size(upstream);
    if (size < 5 || size > (size_t)WIRE_MESSAGE_SIZE_MAX + 1) {
        upstream->broken = true;
        return diag_set(diag, ERR_PROTOCOL,
            "shard \"%s\" sent a message of a length that cannot be", upstream->pool->shard->name);
    }
    TRY(receive(task, upstream, size, deadline_us, obey, diag));
    const uint8_t *head = upstream->in.data + upstream->at;
    message->type = (char)head[0];
    message->body = slice_of(head + 5, size - 5);
    message->whole = slice_of(head, size);
    upstream->at += size;
    if (message->type == 'Z' && message->body.size == 1) {
        upstream->status = (char)message->body.data[0];
    }
    return ERR_OK;
}

/* What the shard says of its version of replicated tables. */
static void
note_parameter(struct upstream *upstream, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    const char *name = wire_get_text(&reader);
    const char *value = wire_get_text(&reader);
    if (reader.failed || strncmp(name, "tusk.replicated_", 16) != 0) {
        return;
    }
    uint64_t version = strtoull(value, NULL, 10);
    copies_note(upstream->pool->worker->router, version);
    if (strcmp(name + 16, "committed") == 0) {
        upstream->committed = version;
    }
}

enum err
upstream_next(struct task *task, struct upstream *upstream, int obey,
    struct upstream_message *message, struct diag *diag)
{
    int64_t deadline_us = upstream->deadline_us == 0 ? WORLD_NEVER : upstream->deadline_us;
    TRY(next(task, upstream, deadline_us, obey, message, diag));
    if (message->type == 'S') {
        note_parameter(upstream, message->body);
    }
    return ERR_OK;
}

bool
upstream_wait(struct task *task, struct upstream *upstream, int64_t deadline_us, int obey)
{
    while (!upstream->broken) {
        size_t there = upstream->in.size - upstream->at;
        if (there >= 5 && there >= message_size(upstream)) {
            return true;
        }
        size_t got = 0;
        uint8_t *to = buffer_reserve(&upstream->in, READ_SIZE);
        enum err err = world_recv(
            task, upstream->socket, to, READ_SIZE, deadline_us, obey | TASK_TERMINATE, &got, NULL);
        if (err == ERR_IDLE_SESSION_TIMEOUT || err == ERR_NOTIFIED) {
            return false;
        }
        upstream->in.size += got;
        upstream->lost = err != ERR_OK || got == 0;
        upstream->broken = upstream->lost;
    }
    return true;
}

bool
upstream_sound(struct task *task, struct upstream *upstream)
{
    uint8_t byte;
    size_t got = 0;
    if (upstream->broken || upstream->at != upstream->in.size) {
        return false;
    }
    return world_recv(task, upstream->socket, &byte, 1, 0, 0, &got, NULL) ==
           ERR_IDLE_SESSION_TIMEOUT;
}

void
upstream_put_route(struct upstream *upstream, const struct shard_route *route)
{
    size_t start = wire_begin(&upstream->out, SHARD_ROUTE_MESSAGE);
    shard_route_encode(route, &upstream->out);
    wire_end(&upstream->out, start);
}

void
upstream_put_query(struct upstream *upstream, const void *text, size_t size)
{
    size_t start = wire_begin(&upstream->out, 'Q');
    buffer_add(&upstream->out, text, size);
    buffer_add_u8(&upstream->out, 0);
    wire_end(&upstream->out, start);
}

/* ---- start-up -------------------------------------------------------------------------------- */

static void
put_startup(struct upstream *upstream)
{
    struct buffer *out = &upstream->out;
    (void)buffer_extend(out, 4);
    buffer_add_be32(out, WIRE_VERSION_3_0);
    const char *const settings[] = {"user", upstream->pool->user, "database",
        upstream->pool->database, "client_encoding", "UTF8"};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        wire_put_text(out, settings[i]);
    }
    buffer_add_u8(out, 0);
    store_be32(out->data, (uint32_t)out->size);
}

struct attempt {
    struct task *task;
    struct upstream *upstream;
    struct login login;
    bool refused; /* by the shard, before it knew who we are */
};

static enum err
find_password(void *arg, char **password, struct diag *diag)
{
    const struct attempt *attempt = arg;
    const struct pool *pool = attempt->upstream->pool;
    const char *file = pool->worker->router->password_file;
    char port[16];
    (void)snprintf(port, sizeof port, "%u", pool->shard->port);
    const char *const target[4] = {pool->shard->host, port, pool->database, pool->user};
    if (file[0] == '\0') {
        return diag_set(
            diag, ERR_INVALID_PASSWORD, "it asks for a password; router_password_file is not set");
    }
    enum err err = login_passfile_find(attempt->task, file, target, password, diag);
    if (err == ERR_OK && *password == NULL) {
        err = diag_set(diag, ERR_INVALID_PASSWORD,
            "it asks for a password; \"%s\" has none for %s:%s:%s:%s", file, target[0], port,
            target[2], target[3]);
    }
    /* Whatever is the matter with the file: there is no password. */
    return err == ERR_OK || err == ERR_QUERY_CANCELED ? err : ERR_INVALID_PASSWORD;
}

static enum err
log_in(struct attempt *attempt, int64_t deadline_us, struct diag *diag)
{
    struct task *task = attempt->task;
    struct upstream *upstream = attempt->upstream;
    put_startup(upstream);
    TRY(upstream_flush(task, upstream, diag));
    for (;;) {
        struct upstream_message message;
        TRY(next(task, upstream, deadline_us, 0, &message, diag));
        struct wire_reader reader = wire_reader_of(message.body);
        switch (message.type) {
        case 'R':
            TRY(login_answer(
                &attempt->login, task, upstream->socket, message.body, &upstream->out, diag));
            TRY(upstream_flush(task, upstream, diag));
            break;
        case 'K':
            upstream->pid = wire_get_u32(&reader);
            upstream->secret = wire_get_u32(&reader);
            break;
        case 'E':
            attempt->refused = !attempt->login.authenticated;
            return upstream_error(message.body, upstream->pool->shard->name, diag);
        case 'Z':
            return ERR_OK;
        default:
            break; /* its parameters are those of the router's own sessions */
        }
    }
}

static enum err
attempt_once(struct task *task, struct upstream *upstream, bool encrypted, int64_t deadline_us,
    bool *refused, struct diag *diag)
{
    upstream->encrypted = encrypted;
    TRY(connect_socket(task, upstream, deadline_us, diag, &upstream->socket));
    struct attempt *attempt = mem_zalloc(sizeof *attempt);
    attempt->task = task;
    attempt->upstream = upstream;
    attempt->login.password = find_password;
    attempt->login.arg = attempt;
    enum err err = log_in(attempt, deadline_us, diag);
    *refused = attempt->refused;
    login_destroy(&attempt->login);
    mem_free(attempt);
    return err;
}

/* Whoever asks is the router's client: that the router is not let in is not his doing, so it has a
 * code of its own (28P01 would tell him that his password is wrong). */
static enum err
explain_failure(enum err err, const struct pool *pool, struct diag *diag)
{
    char words[DIAG_TEXT_MAX];
    switch (err) {
    case ERR_CONNECTION_FAILURE:
    case ERR_SHARD_LOST:
    case ERR_CANNOT_CONNECT_NOW:
        err = ERR_SHARD_UNREACHABLE; /* nothing was sent: it may be tried again */
        break;
    case ERR_INVALID_PASSWORD:
    case ERR_INVALID_AUTHORIZATION:
        err = ERR_SHARD_LOGIN;
        (void)snprintf(words, sizeof words, "%s", diag->message);
        (void)diag_set(diag, err, "shard \"%s\" does not let the router in as user \"%s\"",
            pool->shard->name, pool->user);
        diag_detail(diag, "%s", words);
        break;
    default:
        break;
    }
    diag->code = err;
    return err;
}

enum err
upstream_open(struct task *task, struct pool *pool, int64_t timeout_us, struct upstream **out,
    struct diag *diag)
{
    const struct router *router = pool->worker->router;
    struct upstream *upstream = mem_zalloc(sizeof *upstream);
    upstream->pool = pool;
    upstream->settings = mem_strdup("");
    int64_t deadline_us = world_clock_us(router->world) + timeout_us;
    bool first = login_encrypted_first(router->tls_mode);
    bool refused = false;
    enum err err = attempt_once(task, upstream, first, deadline_us, &refused, diag);
    if (err != ERR_OK && refused && login_other_way(router->tls_mode, upstream->encrypted)) {
        world_socket_close(task, upstream->socket);
        upstream->socket = NULL;
        upstream->in.size = upstream->at = 0;
        upstream->broken = upstream->lost = false;
        err = attempt_once(task, upstream, !first, deadline_us, &refused, diag);
    }
    if (err != ERR_OK) {
        upstream->broken = true;
        upstream_close(task, upstream);
        task_interrupt_clear(task, err == ERR_QUERY_CANCELED ? TASK_CANCEL : 0);
        return explain_failure(err, pool, diag);
    }
    *out = upstream;
    return ERR_OK;
}

void
upstream_close(struct task *task, struct upstream *upstream)
{
    if (upstream->last_of != NULL) {
        pool_forget(upstream->last_of);
    }
    if (upstream->socket != NULL) {
        if (!upstream->broken && upstream->status == 'I') {
            upstream->out.size = 0;
            wire_put_empty(&upstream->out, 'X');
            (void)!upstream_flush(task, upstream, NULL);
        }
        world_socket_close(task, upstream->socket);
    }
    buffer_destroy(&upstream->in);
    buffer_destroy(&upstream->out);
    mem_free(upstream->settings);
    mem_free(upstream->prepared);
    mem_free(upstream);
}

/* ---- what stands at the shard ------------------------------------------------------------------
 */

bool
upstream_has_prepared(const struct upstream *upstream, uint32_t id)
{
    uint32_t mask = upstream->prepared_capacity - 1;
    for (uint32_t at = id; upstream->prepared_capacity > 0; at++) {
        uint32_t there = upstream->prepared[at & mask];
        if (there == id || there == 0) {
            return there == id;
        }
    }
    return false;
}

static void
insert(uint32_t *table, uint32_t capacity, uint32_t id)
{
    uint32_t at = id;
    while (table[at & (capacity - 1)] != 0) {
        at++;
    }
    table[at & (capacity - 1)] = id;
}

void
upstream_note_prepared(struct upstream *upstream, uint32_t id)
{
    ASSERT(id != 0);
    if (upstream_has_prepared(upstream, id)) {
        return;
    }
    if (upstream->prepared_count * 2 >= upstream->prepared_capacity) {
        uint32_t capacity = upstream->prepared_capacity == 0 ? 16 : 2 * upstream->prepared_capacity;
        uint32_t *table = mem_array(capacity, sizeof *table);
        for (uint32_t i = 0; i < upstream->prepared_capacity; i++) {
            if (upstream->prepared[i] != 0) {
                insert(table, capacity, upstream->prepared[i]);
            }
        }
        mem_free(upstream->prepared);
        upstream->prepared = table;
        upstream->prepared_capacity = capacity;
    }
    insert(upstream->prepared, upstream->prepared_capacity, id);
    upstream->prepared_count++;
}

/* Of a line of sql_session_settings_put: values have quotes around them, and anything within. */
static const char *
end_of_setting(const char *line)
{
    char quote = '\0';
    while (quote != '\0' || line[0] != ';' || line[1] != '\n') {
        ASSERT(line[0] != '\0');
        if (quote == '\0' && (*line == '\'' || *line == '"')) {
            quote = *line;
        } else if (quote == *line) {
            quote = '\0'; /* a doubled one begins anew */
        }
        line++;
    }
    return line;
}

bool
upstream_settings(const struct upstream *upstream, const char *wanted, struct buffer *to)
{
    if (strcmp(upstream->settings, wanted) == 0) {
        return false;
    }
    for (const char *line = upstream->settings; *line != '\0';) {
        const char *end = end_of_setting(line);
        const char *name = line + sizeof "SET " - 1;
        const char *name_end = strstr(name, " = ");
        ASSERT(name_end != NULL);
        buffer_add_text(to, "RESET ");
        buffer_add(to, name, (size_t)(name_end - name));
        buffer_add_text(to, ";\n");
        line = end + 2;
    }
    buffer_add_text(to, wanted);
    return true;
}
