#include "shell/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/wire.h"

enum {
    RECEIVE_SIZE = 16 * 1024,
    WAIT_STEP_US = 250000,
    MESSAGE_SIZE_MAX = 0x40000000,
};

static void
hang_up(struct connection *connection)
{
    if (connection->socket != NULL) {
        world_socket_close(connection->task, connection->socket);
        connection->socket = NULL;
    }
    connection->in.size = 0;
    connection->in_at = 0;
    connection->out.size = 0;
    connection->transaction = 'I';
}

void
connection_close(struct connection *connection)
{
    if (connection->socket != NULL) {
        wire_put_empty(&connection->out, 'X');
        (void)connection_flush(connection, NULL);
    }
    hang_up(connection);
}

void
connection_destroy(struct connection *connection)
{
    connection_close(connection);
    buffer_destroy(&connection->in);
    buffer_destroy(&connection->out);
    buffer_destroy(&connection->failure);
    world_tls_release(connection->tls);
    connection->tls = NULL;
}

enum err
connection_flush(struct connection *connection, struct diag *diag)
{
    if (connection->socket == NULL) {
        return diag_set(diag, ERR_CONNECTION_FAILURE, "no connection to the server");
    }
    enum err err = ERR_OK;
    if (connection->out.size > 0) {
        err = world_send(
            connection->task, connection->socket, connection->out.data, connection->out.size, diag);
    }
    connection->out.size = 0;
    return err;
}

enum err
connection_query(struct connection *connection, const char *text, size_t size, struct diag *diag)
{
    size_t start = wire_begin(&connection->out, 'Q');
    buffer_add(&connection->out, text, size);
    buffer_add_u8(&connection->out, 0);
    wire_end(&connection->out, start);
    return connection_flush(connection, diag);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* The file's path: what was asked for, or the usual one in ~/.postgresql. */
static const char *
tls_file(const char *asked, const char *usual, char usual_path[CONNECTION_FILE_MAX])
{
    const char *home = getenv("HOME");
    if (asked[0] != '\0') {
        return asked;
    }
    (void)snprintf(
        usual_path, CONNECTION_FILE_MAX, "%s/.postgresql/%s", home == NULL ? "" : home, usual);
    return usual_path;
}

static enum err
load_tls(struct connection *connection, struct diag *diag)
{
    char paths[3][CONNECTION_FILE_MAX];
    const char *certificate = tls_file(connection->certificate_file, "postgresql.crt", paths[1]);
    bool has_certificate =
        connection->certificate_file[0] != '\0' || world_file_exists(connection->task, certificate);
    struct login_tls_files files = {
        .root = tls_file(connection->root_file, "root.crt", paths[0]),
        .certificate = has_certificate ? certificate : NULL,
        .key = tls_file(connection->key_file, "postgresql.key", paths[2]),
    };
    return login_tls_load(connection->task, connection->tls_mode, &files, &connection->tls, diag);
}

/* A socket to the server, encrypted if connection->encrypted, and if the server can where it need
 * not be. */
static enum err
connect_socket(struct connection *connection, struct world_socket **socket, struct diag *diag)
{
    struct login_target target = {.host = connection->host,
        .port = connection->port,
        .mode = connection->tls_mode,
        .tls = connection->tls};
    return login_connect(
        connection->task, &target, &connection->encrypted, WORLD_NEVER, socket, diag);
}

/* Over a connection of its own, as the protocol wants it. */
static void
send_cancel(struct connection *connection)
{
    struct world_socket *socket = NULL;
    if (connect_socket(connection, &socket, NULL) != ERR_OK) {
        return;
    }
    uint8_t request[16];
    store_be32(request, sizeof request);
    store_be32(request + 4, WIRE_CANCEL_REQUEST);
    store_be32(request + 8, connection->process_id);
    store_be32(request + 12, connection->secret);
    (void)world_send(connection->task, socket, request, sizeof request, NULL);
    world_socket_close(connection->task, socket);
}

/* Have at least `size` bytes of the next message in the buffer. */
static enum err
need(struct connection *connection, size_t size, struct diag *diag)
{
    struct buffer *in = &connection->in;
    while (in->size - connection->in_at < size) {
        if (connection->in_at > 0) {
            buffer_consume(in, connection->in_at);
            connection->in_at = 0;
        }
        size_t room = size > RECEIVE_SIZE ? size : RECEIVE_SIZE;
        uint8_t *to = buffer_reserve(in, room);
        size_t got = 0;
        int64_t until = connection->on_wait == NULL
                            ? WORLD_NEVER
                            : world_clock_us(task_world(connection->task)) + WAIT_STEP_US;
        enum err err = world_recv(
            connection->task, connection->socket, to, room, until, TASK_CANCEL, &got, diag);
        if (err == ERR_IDLE_SESSION_TIMEOUT) {
            connection->on_wait(connection->on_wait_arg);
            continue;
        }
        if (err == ERR_QUERY_CANCELED) {
            task_interrupt_clear(connection->task, TASK_CANCEL);
            send_cancel(connection);
            if (connection->on_cancel != NULL) {
                connection->on_cancel(connection->arg);
            }
            continue;
        }
        TRY(err);
        if (got == 0) {
            return diag_set(
                diag, ERR_CONNECTION_FAILURE, "server closed the connection unexpectedly");
        }
        in->size += got;
    }
    return ERR_OK;
}

static void
note_parameter(struct connection *connection, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    const char *name = wire_get_text(&reader);
    const char *value = wire_get_text(&reader);
    if (strcmp(name, "server_version") == 0) {
        (void)snprintf(connection->server_version, sizeof connection->server_version, "%s", value);
    } else if (strcmp(name, "is_superuser") == 0) {
        connection->superuser = strcmp(value, "on") == 0;
    }
}

static enum err
next_message(struct connection *connection, struct message *message, struct diag *diag)
{
    for (;;) {
        TRY(need(connection, 5, diag));
        const uint8_t *head = connection->in.data + connection->in_at;
        size_t size = load_be32(head + 1);
        if (size < 4 || size > MESSAGE_SIZE_MAX) {
            return diag_set(diag, ERR_PROTOCOL,
                "the server sent a message of a length that cannot be; is it one?");
        }
        TRY(need(connection, size + 1, diag));
        head = connection->in.data + connection->in_at;
        message->type = (char)head[0];
        message->body = slice_of(head + 5, size - 4);
        connection->in_at += size + 1;
        switch (message->type) {
        case 'N':
            if (connection->on_notice != NULL) {
                connection->on_notice(connection->arg, message->body);
            }
            break;
        case 'S':
            note_parameter(connection, message->body);
            break;
        case 'A':
            break; /* NotificationResponse: nobody listens here */
        case 'E':
            connection->failure.size = 0;
            buffer_add(&connection->failure, message->body.data, message->body.size);
            return ERR_OK;
        case 'Z':
            connection->transaction = message->body.size == 1 ? (char)message->body.data[0] : 'I';
            return ERR_OK;
        default:
            return ERR_OK;
        }
    }
}

enum err
connection_next(struct connection *connection, struct message *message, struct diag *diag)
{
    if (connection->socket == NULL) {
        return diag_set(diag, ERR_CONNECTION_FAILURE, "no connection to the server");
    }
    enum err err = next_message(connection, message, diag);
    if (err != ERR_OK) {
        hang_up(connection);
    }
    return err;
}

/* ---- start-up -------------------------------------------------------------------------------- */

/* Who typed it is not asked again for the same connection. */
static enum err
ask_password(void *arg, char **password, struct diag *diag)
{
    struct connection *connection = arg;
    (void)diag;
    if (connection->password[0] != '\0' || connection->typed[0] != '\0') {
        *password =
            mem_strdup(connection->password[0] != '\0' ? connection->password : connection->typed);
        return ERR_OK;
    }
    *password = connection->ask_password(connection->arg);
    if (*password != NULL && strlen(*password) < sizeof connection->typed) {
        (void)snprintf(connection->typed, sizeof connection->typed, "%s", *password);
    }
    return ERR_OK;
}

static void
put_startup(struct connection *connection)
{
    struct buffer *out = &connection->out;
    (void)buffer_extend(out, 4);
    buffer_add_be32(out, WIRE_VERSION_3_0);
    const char *const settings[] = {"user", connection->user, "database", connection->database,
        "application_name", connection->application, "client_encoding", "UTF8"};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        wire_put_text(out, settings[i]);
    }
    buffer_add_u8(out, 0);
    store_be32(out->data, (uint32_t)out->size);
}

static enum err
start(struct connection *connection, struct login *login, struct diag *diag)
{
    put_startup(connection);
    TRY(connection_flush(connection, diag));
    for (;;) {
        struct message message;
        TRY(next_message(connection, &message, diag));
        struct wire_reader reader = wire_reader_of(message.body);
        switch (message.type) {
        case 'R':
            TRY(login_answer(
                login, connection->task, connection->socket, message.body, &connection->out, diag));
            TRY(connection_flush(connection, diag));
            break;
        case 'K':
            connection->process_id = wire_get_u32(&reader);
            connection->secret = wire_get_u32(&reader);
            break;
        case 'Z':
            return ERR_OK;
        case 'E':
            return diag_set(diag, ERR_CONNECTION_FAILURE, "%s:  %s",
                wire_error_field(message.body, 'S'), wire_error_field(message.body, 'M'));
        default:
            break; /* 'v': we asked for nothing that can be negotiated away */
        }
    }
}

static enum err
attempt(struct connection *connection, bool encrypted, struct diag *diag)
{
    hang_up(connection);
    connection->superuser = false;
    connection->authenticated = false;
    connection->failure.size = 0;
    connection->encrypted = encrypted;
    if (encrypted && connection->tls == NULL) {
        TRY(load_tls(connection, diag));
    }
    TRY(connect_socket(connection, &connection->socket, diag));
    struct login *login = mem_zalloc(sizeof *login);
    login->password = ask_password;
    login->arg = connection;
    enum err err = start(connection, login, diag);
    connection->authenticated = login->authenticated;
    login_destroy(login);
    mem_free(login);
    if (err != ERR_OK) {
        hang_up(connection);
    }
    return err;
}

enum err
connection_open(struct connection *connection, struct diag *diag)
{
    enum tls_mode mode = connection->tls_mode;
    connection->typed[0] = '\0';
    enum err err = attempt(connection, login_encrypted_first(mode), diag);
    /* Refused as it is: the other way, where both will do. */
    bool refused = err != ERR_OK && connection->failure.size > 0 && !connection->authenticated;
    if (refused && login_other_way(mode, connection->encrypted)) {
        err = attempt(connection, !login_encrypted_first(mode), diag);
    }
    return err;
}

void
connection_copy_target(struct connection *to, const struct connection *from)
{
    to->task = from->task;
    to->port = from->port;
    to->tls_mode = from->tls_mode;
    memcpy(to->host, from->host, sizeof to->host);
    memcpy(to->user, from->user, sizeof to->user);
    memcpy(to->database, from->database, sizeof to->database);
    memcpy(to->application, from->application, sizeof to->application);
    memcpy(
        to->password, from->typed[0] != '\0' ? from->typed : from->password, sizeof to->password);
    memcpy(to->root_file, from->root_file, sizeof to->root_file);
    memcpy(to->certificate_file, from->certificate_file, sizeof to->certificate_file);
    memcpy(to->key_file, from->key_file, sizeof to->key_file);
}
