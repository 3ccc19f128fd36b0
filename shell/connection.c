#include "shell/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shell/scram.h"
#include "wire/wire.h"

enum {
    RECEIVE_SIZE = 16 * 1024,
    WAIT_STEP_US = 250000,
    MESSAGE_SIZE_MAX = 0x40000000,
};

enum {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12,
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

enum {
    PEM_SIZE_MAX = 1 << 20
};

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
read_root(struct connection *connection, const char *path, struct buffer *pem, struct diag *diag)
{
    bool there = world_file_exists(connection->task, path);
    if (connection->tls_mode >= TLS_VERIFY_CA && !there) {
        (void)diag_set(
            diag, ERR_UNDEFINED_FILE, "root certificate file \"%s\" does not exist", path);
        diag_hint(diag, "Either provide the file or change sslmode to disable server certificate "
                        "verification.");
        return ERR_UNDEFINED_FILE;
    }
    /* With a root's file even sslmode=require verifies, as libpq does. */
    return there ? world_file_read_all(connection->task, path, PEM_SIZE_MAX, pem, diag) : ERR_OK;
}

static enum err
read_key(struct connection *connection, const char *path, struct buffer *pem, struct diag *diag)
{
    struct world_file *file = NULL;
    TRY(world_file_open(connection->task, path, WORLD_FILE_READ, &file, diag));
    bool private = world_file_private(connection->task, file);
    world_file_close(connection->task, file);
    if (!private) {
        return diag_set(
            diag, ERR_CONFIG_FILE, "private key file \"%s\" has group or world access", path);
    }
    return world_file_read_all(connection->task, path, PEM_SIZE_MAX, pem, diag);
}

static enum err
load_tls(struct connection *connection, struct buffer pems[3], struct diag *diag)
{
    char paths[3][CONNECTION_FILE_MAX];
    const char *root = tls_file(connection->root_file, "root.crt", paths[0]);
    const char *certificate = tls_file(connection->certificate_file, "postgresql.crt", paths[1]);
    const char *key = tls_file(connection->key_file, "postgresql.key", paths[2]);
    TRY(read_root(connection, root, &pems[0], diag));
    if (connection->certificate_file[0] != '\0' ||
        world_file_exists(connection->task, certificate)) {
        TRY(world_file_read_all(connection->task, certificate, PEM_SIZE_MAX, &pems[1], diag));
        TRY(read_key(connection, key, &pems[2], diag));
    }
    struct world_tls_options options = {
        .authorities = slice_of(pems[0].data, pems[0].size),
        .certificate = slice_of(pems[1].data, pems[1].size),
        .key = slice_of(pems[2].data, pems[2].size),
        .authorities_file = root,
        .certificate_file = certificate,
        .key_file = key,
    };
    return world_tls_new(&options, &connection->tls, diag);
}

/* Ask the server for encryption, and start it. *refused: it does not do that. */
static enum err
start_tls(
    struct connection *connection, struct world_socket *socket, bool *refused, struct diag *diag)
{
    uint8_t request[8];
    char answer = 0;
    size_t got = 0;
    store_be32(request, sizeof request);
    store_be32(request + 4, WIRE_SSL_REQUEST);
    TRY(world_send(connection->task, socket, request, sizeof request, diag));
    TRY(world_recv(connection->task, socket, &answer, 1, WORLD_NEVER, TASK_CANCEL, &got, diag));
    *refused = got == 1 && answer == 'N';
    if (*refused) {
        return ERR_OK;
    }
    if (got != 1 || answer != 'S') {
        return diag_set(
            diag, ERR_PROTOCOL, "received invalid response to SSL negotiation: %c", answer);
    }
    return world_tls_start(connection->task, socket, connection->tls, connection->host,
        connection->tls_mode == TLS_VERIFY_FULL, WORLD_NEVER, diag);
}

/* A socket to the server, encrypted if connection->encrypted, and if the server can where it need
 * not be. */
static enum err
connect_socket(struct connection *connection, struct world_socket **socket, struct diag *diag)
{
    TRY(world_connect(connection->task, connection->host, connection->port, socket, diag));
    if (!connection->encrypted) {
        return ERR_OK;
    }
    bool refused = false;
    bool needed = connection->tls_mode >= TLS_REQUIRE;
    enum err err = start_tls(connection, *socket, &refused, diag);
    if (err == ERR_OK && refused && needed) {
        err = diag_set(
            diag, ERR_CONNECTION_FAILURE, "server does not support SSL, but SSL was required");
    }
    if (err == ERR_OK) {
        connection->encrypted = !refused;
        return ERR_OK;
    }
    world_socket_close(connection->task, *socket);
    *socket = NULL;
    if (needed || err != ERR_CONNECTION_FAILURE) {
        return err;
    }
    connection->encrypted = false;
    return world_connect(connection->task, connection->host, connection->port, socket, diag);
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

static void
send_password(struct connection *connection, const void *bytes, size_t size, bool terminate)
{
    size_t start = wire_begin(&connection->out, 'p');
    buffer_add(&connection->out, bytes, size);
    if (terminate) {
        buffer_add_u8(&connection->out, 0);
    }
    wire_end(&connection->out, start);
}

/* On the heap, or NULL. Who typed it is not asked again for the same connection. */
static char *
ask_password(struct connection *connection)
{
    if (connection->password[0] != '\0' || connection->typed[0] != '\0') {
        return mem_strdup(
            connection->password[0] != '\0' ? connection->password : connection->typed);
    }
    char *password = connection->ask_password(connection->arg);
    if (password != NULL && strlen(password) < sizeof connection->typed) {
        (void)snprintf(connection->typed, sizeof connection->typed, "%s", password);
    }
    return password;
}

static enum err
answer_sasl(struct connection *connection, struct scram *scram, uint32_t code,
    struct wire_reader *reader, struct diag *diag)
{
    struct buffer answer = {0};
    enum err err = ERR_OK;
    if (code == AUTH_SASL) {
        bool offered = false;
        bool offered_plus = false;
        for (const char *name = wire_get_text(reader); name[0] != '\0';
             name = wire_get_text(reader)) {
            offered = offered || strcmp(name, SCRAM_MECHANISM) == 0;
            offered_plus = offered_plus || strcmp(name, SCRAM_MECHANISM_PLUS) == 0;
        }
        if (!offered) {
            return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                "the server asks for an authentication that is not " SCRAM_MECHANISM);
        }
        char *password = ask_password(connection);
        uint8_t nonce[18];
        uint8_t hash[64];
        size_t hash_size = world_tls_end_point(connection->socket, hash);
        bool bind = offered_plus && hash_size > 0;
        world_random_bytes(task_world(connection->task), nonce, sizeof nonce);
        scram_begin(scram, password == NULL ? "" : password, nonce, sizeof nonce,
            bind            ? SCRAM_BOUND
            : hash_size > 0 ? SCRAM_COULD_BE_BOUND
                            : SCRAM_UNBOUND,
            slice_of(hash, hash_size));
        mem_free(password);
        wire_put_text(&answer, bind ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM);
        buffer_add_be32(&answer, (uint32_t)strlen(scram->client_first));
        buffer_add_text(&answer, scram->client_first);
    } else {
        size_t size = (size_t)(reader->end - reader->at);
        const char *text = (const char *)wire_get_bytes(reader, size).data;
        if (code == AUTH_SASL_CONTINUE) {
            err = scram_continue(scram, text, size, &answer, diag);
        } else {
            err = scram_finish(scram, text, size, diag);
        }
    }
    if (err == ERR_OK && code != AUTH_SASL_FINAL) {
        send_password(connection, answer.data, answer.size, false);
        err = connection_flush(connection, diag);
    }
    buffer_destroy(&answer);
    return err;
}

static enum err
authenticate(
    struct connection *connection, struct scram *scram, struct slice body, struct diag *diag)
{
    struct wire_reader reader = wire_reader_of(body);
    uint32_t code = wire_get_u32(&reader);
    char *password;
    switch (code) {
    case AUTH_OK:
        connection->authenticated = true;
        return ERR_OK;
    case AUTH_CLEARTEXT:
        password = ask_password(connection);
        if (password == NULL) {
            return diag_set(diag, ERR_INVALID_PASSWORD, "no password supplied");
        }
        send_password(connection, password, strlen(password), true);
        mem_free(password);
        return connection_flush(connection, diag);
    case AUTH_SASL:
    case AUTH_SASL_CONTINUE:
    case AUTH_SASL_FINAL:
        return answer_sasl(connection, scram, code, &reader, diag);
    default:
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "authentication method %u of the server is not supported", code);
    }
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
start(struct connection *connection, struct scram *scram, struct diag *diag)
{
    put_startup(connection);
    TRY(connection_flush(connection, diag));
    for (;;) {
        struct message message;
        TRY(next_message(connection, &message, diag));
        struct wire_reader reader = wire_reader_of(message.body);
        switch (message.type) {
        case 'R':
            TRY(authenticate(connection, scram, message.body, diag));
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
        struct buffer pems[3] = {{0}, {0}, {0}};
        enum err loaded = load_tls(connection, pems, diag);
        for (int i = 0; i < 3; i++) {
            buffer_destroy(&pems[i]);
        }
        TRY(loaded);
    }
    TRY(connect_socket(connection, &connection->socket, diag));
    struct scram *scram = mem_zalloc(sizeof *scram);
    enum err err = start(connection, scram, diag);
    scram_destroy(scram);
    mem_free(scram);
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
    enum err err = attempt(connection, mode >= TLS_PREFER, diag);
    /* Refused as it is: the other way, where both will do. */
    bool refused = err != ERR_OK && connection->failure.size > 0 && !connection->authenticated;
    if (refused && (mode == TLS_ALLOW || (mode == TLS_PREFER && connection->encrypted))) {
        err = attempt(connection, mode == TLS_ALLOW, diag);
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
