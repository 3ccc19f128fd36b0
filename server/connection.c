/*
 * server/connection.c - PostgreSQL's protocol 3.0, the backend's side.
 *
 * States: start-up, then a loop of one message at a time. `skipping` is on from an error in the
 * extended protocol until the next Sync. Output gathers in one buffer and leaves when the client
 * could be waiting for it (ReadyForQuery, Flush, CopyInResponse) or when it grows past FLUSH_SIZE.
 *
 * Invariants
 *   C1. Every byte sent went through `out`, in order; nothing is sent from two places at once.
 *   C2. ReadyForQuery follows each simple query, each Sync, and start-up: exactly one each.
 *   C3. A message's body is complete in `in` before it is looked at, and stays until the message
 *       has been dealt with (COPY data included).
 *   C4. Before a session exists nothing the client says costs more than WIRE_STARTUP_SIZE_MAX
 *       bytes and AUTHENTICATION_TIMEOUT_US.
 *   C5. A client silent for REST_US holds no memory that costs nothing to have again: buffers, the
 *       unused part of the stack; one silent for IDLE_TRIM_US none that can be had again: cached
 * plans.
 */
#include "server/connection.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "shard/route.h"
#include "shard/settled.h"
#include "wire/wire.h"

enum {
    READ_SIZE = 2048, /* at first; four times as much when that was too little */
    READ_SIZE_MAX = 32 * 1024,
    FLUSH_SIZE = 32 * 1024,
    IDLE_KEEP_SIZE = 64 * 1024, /* larger buffers are given back between messages */
    IDLE_READ_SIZE = 256,       /* what waits for a client that has been silent for long */
    REST_US = 1000000,
    IDLE_TRIM_US = 10000000,
    AUTHENTICATION_TIMEOUT_US = 60000000,
    SETTINGS_MAX = 64,
    ARGUMENTS_MAX = 65535,
};

struct connection {
    struct connection_options options;
    struct world *world;
    struct sql_session *session;
    struct sql_sink sink;
    struct buffer in; /* in.data[consumed..in.size) is not yet dealt with */
    size_t consumed;
    size_t read_size;
    struct buffer out;
    struct arena message; /* what dealing with one message needs */
    bool skipping;
    bool broken;  /* the socket failed: nothing more can be sent or received */
    bool ended;   /* Terminate, or a fatal error was sent */
    bool ready;   /* ReadyForQuery was the last thing said: no statement is under way */
    bool resting; /* C5 */
    void *client; /* options.relay's; or NULL */
    struct diag diag;
};

/* ---- bytes in and out -------------------------------------------------------------------- */

static enum err
flush(struct task *task, struct connection *connection, struct diag *diag)
{
    if (connection->broken) {
        connection->out.size = 0;
        return diag_set(diag, ERR_CONNECTION_FAILURE, "connection to client lost");
    }
    if (connection->out.size == 0) {
        return ERR_OK;
    }
    enum err err = world_send(
        task, connection->options.socket, connection->out.data, connection->out.size, diag);
    connection->out.size = 0;
    if (err != ERR_OK) {
        connection->broken = true;
    }
    return err;
}

static enum err
flush_if_large(struct task *task, struct connection *connection, struct diag *diag)
{
    return connection->out.size < FLUSH_SIZE ? ERR_OK : flush(task, connection, diag);
}

/* Give large buffers back, and move what is left of the input to the front. */
static void
tidy_input(struct connection *connection)
{
    if (connection->consumed > 0) {
        buffer_consume(&connection->in, connection->consumed);
        connection->consumed = 0;
    }
    size_t keep = connection->resting ? IDLE_READ_SIZE : IDLE_KEEP_SIZE;
    if (connection->in.size == 0 && connection->in.capacity > keep) {
        buffer_destroy(&connection->in);
    }
    if (connection->out.size == 0 && connection->out.capacity > keep) {
        buffer_destroy(&connection->out);
    }
}

static enum err
receive_more(struct task *task, struct connection *connection, size_t at_least, int64_t deadline,
    int obey, struct diag *diag)
{
    size_t usual = connection->resting ? IDLE_READ_SIZE : connection->read_size;
    size_t room = at_least > usual ? at_least : usual;
    /* A large length is believed only as fast as its bytes come. */
    room = room > 1024 * 1024 ? 1024 * 1024 : room;
    uint8_t *to = buffer_reserve(&connection->in, room);
    size_t got = 0;
    enum err err =
        world_recv(task, connection->options.socket, to, room, deadline, obey, &got, diag);
    if (err != ERR_OK) {
        return err;
    }
    if (got == 0) {
        connection->broken = true;
        return diag_set(diag, ERR_CONNECTION_FAILURE, "unexpected EOF on client connection");
    }
    connection->in.size += got;
    connection->resting = false;
    if (got == room && connection->read_size < READ_SIZE_MAX) {
        connection->read_size *= 4;
    }
    return ERR_OK;
}

/* receive_more, and C5 for those who let us wait. Only before a message's first byte: what deals
 * with the rest of one may count on what it has. */
static enum err
receive_next(struct task *task, struct connection *connection, size_t missing, int64_t deadline,
    int obey, struct diag *diag)
{
    if (connection->in.size > 0 || !connection->ready) {
        return receive_more(task, connection, missing, deadline, obey, diag);
    }
    int64_t now = world_clock_us(connection->world);
    if (deadline > now + REST_US) {
        enum err err = receive_more(task, connection, 0, now + REST_US, obey, diag);
        if (err != ERR_IDLE_SESSION_TIMEOUT) {
            return err;
        }
        sql_session_rest(connection->session);
        connection->resting = true;
        connection->read_size = READ_SIZE;
        tidy_input(connection);
        task_trim_stack(task);
    }
    if (deadline > now + IDLE_TRIM_US) {
        enum err err = receive_more(task, connection, 0, now + IDLE_TRIM_US, obey, diag);
        if (err != ERR_IDLE_SESSION_TIMEOUT) {
            return err;
        }
        sql_session_trim(connection->session);
        connection->options.trimmed(connection->options.arg);
        task_trim_stack(task);
    }
    return receive_more(task, connection, 0, deadline, obey, diag);
}

static struct slice
pending_input(const struct connection *connection)
{
    const struct buffer *in = &connection->in;
    return in->size == 0
               ? (struct slice){0}
               : slice_of(in->data + connection->consumed, in->size - connection->consumed);
}

/* The next whole message. Its body stays valid until the next call. */
static enum err
next_message(struct task *task, struct connection *connection, int64_t deadline, int obey,
    char *type, struct slice *body, struct diag *diag)
{
    for (;;) {
        struct slice pending = pending_input(connection);
        size_t size = 0;
        TRY(wire_message_size(pending, &size, diag));
        if (size > 0 && pending.size >= size) {
            *type = (char)pending.data[0];
            *body = slice_of(pending.data + 5, size - 5);
            connection->consumed += size;
            return ERR_OK;
        }
        tidy_input(connection);
        size_t missing = size > 0 ? size - connection->in.size : 0;
        TRY(receive_next(task, connection, missing, deadline, obey, diag));
    }
}

struct buffer *
connection_out(struct connection *connection)
{
    return &connection->out;
}

enum err
connection_flush(struct task *task, struct connection *connection, struct diag *diag)
{
    return flush(task, connection, diag);
}

enum err
connection_next(struct task *task, struct connection *connection, char *type, struct slice *body,
    struct diag *diag)
{
    return next_message(
        task, connection, WORLD_NEVER, TASK_CANCEL | TASK_TERMINATE, type, body, diag);
}

struct sql_session *
connection_session(struct connection *connection)
{
    return connection->session;
}

/* ---- errors
 * ---------------------------------------------------------------------------------------- */

static void
send_error(struct connection *connection, const char *severity, const struct diag *diag)
{
    wire_put_diag(&connection->out, 'E', severity, diag);
}

static void
end_with_fatal(struct task *task, struct connection *connection)
{
    if (!connection->broken) {
        send_error(connection, "FATAL", &connection->diag);
        struct diag ignored;
        if (flush(task, connection, &ignored) != ERR_OK) {
            connection->broken = true;
        }
    }
    connection->ended = true;
}

static bool
is_fatal(enum err err)
{
    return err == ERR_ADMIN_SHUTDOWN || err == ERR_CONNECTION_FAILURE ||
           err == ERR_IDLE_IN_TRANSACTION_TIMEOUT || err == ERR_IDLE_SESSION_TIMEOUT;
}

/* A statement or message failed: tell the client; false if the connection is over. */
static bool
report(struct task *task, struct connection *connection, enum err err)
{
    if (connection->broken || is_fatal(err)) {
        end_with_fatal(task, connection);
        return false;
    }
    send_error(connection, "ERROR", &connection->diag);
    return true;
}

/* ---- the sink
 * ---------------------------------------------------------------------------------------- */

static void
put_row_description(
    struct buffer *out, const struct plan_column *columns, uint32_t count, const bool *binary)
{
    size_t start = wire_begin(out, 'T');
    buffer_add_be16(out, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++) {
        const struct type *type = type_by_oid(columns[i].type);
        wire_put_text(out, columns[i].name);
        buffer_add_be32(out, columns[i].table);
        buffer_add_be16(out, (uint16_t)columns[i].attnum);
        buffer_add_be32(out, columns[i].type);
        buffer_add_be16(out, (uint16_t)(type == NULL ? -1 : type->size));
        buffer_add_be32(out, (uint32_t)columns[i].typmod);
        buffer_add_be16(out, binary != NULL && binary[i] ? 1 : 0);
    }
    wire_end(out, start);
}

static enum err
sink_describe(struct task *task, void *arg, const struct plan_column *columns, uint32_t count,
    struct diag *diag)
{
    struct connection *connection = arg;
    put_row_description(&connection->out, columns, count, NULL);
    return flush_if_large(task, connection, diag);
}

/* Decimal digits without going through printf: most columns of most rows are integers. */
static void
put_integer_text(struct buffer *out, int64_t value)
{
    char digits[24];
    char *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        *--at = '-';
    }
    size_t size = (size_t)(digits + sizeof digits - at);
    buffer_add_be32(out, (uint32_t)size);
    buffer_add(out, at, size);
}

static void
put_value(struct connection *connection, const struct plan_column *column, struct datum value,
    bool binary)
{
    struct buffer *out = &connection->out;
    if (value.null) {
        buffer_add_be32(out, UINT32_MAX);
        return;
    }
    if (!binary) {
        switch (column->type) {
        case TYPE_INT2:
        case TYPE_INT4:
        case TYPE_INT8:
            put_integer_text(out, value.i);
            return;
        case TYPE_TEXT:
        case TYPE_VARCHAR:
        case TYPE_BPCHAR:
            buffer_add_be32(out, value.size);
            buffer_add(out, value.p, value.size);
            return;
        default:
            break;
        }
    }
    size_t start = out->size;
    (void)buffer_extend(out, 4);
    if (binary) {
        type_send(sql_session_env(connection->session), column->type, value, out);
    } else {
        type_output(sql_session_env(connection->session), column->type, value, out);
    }
    store_be32(out->data + start, (uint32_t)(out->size - start - 4));
}

static enum err
sink_row(struct task *task, void *arg, const struct plan_column *columns,
    const struct datum *values, uint32_t count, const bool *binary, struct diag *diag)
{
    struct connection *connection = arg;
    size_t start = wire_begin(&connection->out, 'D');
    buffer_add_be16(&connection->out, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++) {
        put_value(connection, &columns[i], values[i], binary != NULL && binary[i]);
    }
    if (connection->out.size - start > WIRE_MESSAGE_SIZE_MAX) {
        connection->out.size = start - 1;
        return diag_set(diag, ERR_PROGRAM_LIMIT, "result row is too large");
    }
    wire_end(&connection->out, start);
    return flush_if_large(task, connection, diag);
}

static enum err
sink_complete(struct task *task, void *arg, const char *tag, struct diag *diag)
{
    struct connection *connection = arg;
    wire_put_command_complete(&connection->out, tag);
    return flush_if_large(task, connection, diag);
}

static enum err
sink_empty(struct task *task, void *arg, struct diag *diag)
{
    struct connection *connection = arg;
    wire_put_empty(&connection->out, 'I');
    return flush_if_large(task, connection, diag);
}

static void
sink_notice(void *arg, const char *severity, const struct diag *notice)
{
    struct connection *connection = arg;
    wire_put_diag(&connection->out, 'N', severity, notice);
}

static void
sink_notify(void *arg, uint32_t pid, const char *channel, const char *payload)
{
    struct connection *connection = arg;
    wire_put_notification(&connection->out, pid, channel, payload);
}

static void
sink_parameter_status(void *arg, const char *name, const char *value)
{
    struct connection *connection = arg;
    wire_put_parameter_status(&connection->out, name, value);
}

static void
put_copy_response(struct buffer *out, char type, uint32_t column_count, bool binary)
{
    size_t start = wire_begin(out, type);
    buffer_add_u8(out, binary);
    buffer_add_be16(out, (uint16_t)column_count);
    for (uint32_t i = 0; i < column_count; i++) {
        buffer_add_be16(out, binary);
    }
    wire_end(out, start);
}

static enum err
sink_copy_in_begin(
    struct task *task, void *arg, uint32_t column_count, bool binary, struct diag *diag)
{
    struct connection *connection = arg;
    put_copy_response(&connection->out, 'G', column_count, binary);
    return flush(task, connection, diag);
}

static enum err
sink_copy_in_read(struct task *task, void *arg, struct slice *bytes, bool *done, struct diag *diag)
{
    struct connection *connection = arg;
    *bytes = (struct slice){0};
    for (;;) {
        char type = 0;
        struct slice body;
        TRY(next_message(task, connection, WORLD_NEVER, TASK_CANCEL | TASK_TIMEOUT | TASK_TERMINATE,
            &type, &body, diag));
        switch (type) {
        case 'd':
            *bytes = body;
            *done = false;
            return ERR_OK;
        case 'c':
            *done = true;
            return ERR_OK;
        case 'f': {
            struct wire_reader reader = wire_reader_of(body);
            const char *why = wire_get_text(&reader);
            return diag_set(diag, ERR_QUERY_CANCELED, "COPY from stdin failed: %s", why);
        }
        case 'H':
        case 'S': /* allowed and without meaning here (protocol, 55.2.6) */
            break;
        default:
            return diag_set(diag, ERR_PROTOCOL,
                "unexpected message type 0x%02X during COPY from stdin", (unsigned char)type);
        }
    }
}

static enum err
sink_copy_out_begin(
    struct task *task, void *arg, uint32_t column_count, bool binary, struct diag *diag)
{
    struct connection *connection = arg;
    put_copy_response(&connection->out, 'H', column_count, binary);
    return flush_if_large(task, connection, diag);
}

static enum err
sink_copy_out_row(struct task *task, void *arg, struct slice bytes, struct diag *diag)
{
    struct connection *connection = arg;
    size_t start = wire_begin(&connection->out, 'd');
    buffer_add(&connection->out, bytes.data, bytes.size);
    wire_end(&connection->out, start);
    return flush_if_large(task, connection, diag);
}

static enum err
sink_copy_out_end(struct task *task, void *arg, struct diag *diag)
{
    struct connection *connection = arg;
    wire_put_empty(&connection->out, 'c');
    return flush_if_large(task, connection, diag);
}

/* ---- start-up
 * ------------------------------------------------------------------------------------------ */

struct startup {
    const char *user;
    const char *database;
    const char *settings[2 * SETTINGS_MAX + 1];
    const char *unknown[SETTINGS_MAX]; /* _pq_. options */
    uint32_t unknown_count;
    uint32_t minor;
};

/* The start-up packet without its length; body valid until the next call. */
static enum err
next_startup_packet(
    struct task *task, struct connection *connection, int64_t deadline, struct slice *body)
{
    for (;;) {
        struct slice pending = pending_input(connection);
        if (pending.size >= 4) {
            uint32_t length = load_be32(pending.data);
            if (length < 8 || length > WIRE_STARTUP_SIZE_MAX) {
                return diag_set(
                    &connection->diag, ERR_PROTOCOL, "invalid length of startup packet");
            }
            if (pending.size >= length) {
                *body = slice_of(pending.data + 4, length - 4);
                connection->consumed += length;
                return ERR_OK;
            }
        }
        TRY(receive_more(task, connection, 0, deadline, TASK_TERMINATE, &connection->diag));
    }
}

static enum err
read_startup(struct connection *connection, struct slice body, struct startup *startup)
{
    struct wire_reader reader = wire_reader_of(body);
    uint32_t version = wire_get_u32(&reader);
    if (version >> 16 != 3) {
        return diag_set(&connection->diag, ERR_FEATURE_NOT_SUPPORTED,
            "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0", version >> 16,
            version & 0xffff);
    }
    startup->minor = version & 0xffff;
    uint32_t count = 0;
    while (reader.at < reader.end && *reader.at != 0) {
        const char *name = wire_get_text(&reader);
        const char *value = wire_get_text(&reader);
        if (reader.failed) {
            break;
        }
        if (strcmp(name, "user") == 0) {
            startup->user = arena_strdup(&connection->message, value);
        } else if (strcmp(name, "database") == 0) {
            startup->database = arena_strdup(&connection->message, value);
        } else if (strncmp(name, "_pq_.", 5) == 0) {
            if (startup->unknown_count < SETTINGS_MAX) {
                startup->unknown[startup->unknown_count++] =
                    arena_strdup(&connection->message, name);
            }
        } else if (strcmp(name, "replication") == 0) {
            if (strcmp(value, "false") != 0 && strcmp(value, "off") != 0 &&
                strcmp(value, "0") != 0 && strcmp(value, "no") != 0) {
                return diag_set(&connection->diag, ERR_FEATURE_NOT_SUPPORTED,
                    "replication connections are not supported");
            }
        } else if (count < SETTINGS_MAX) {
            startup->settings[2 * count] = arena_strdup(&connection->message, name);
            startup->settings[2 * count + 1] = arena_strdup(&connection->message, value);
            count++;
        } else {
            return diag_set(&connection->diag, ERR_PROTOCOL, "too many startup parameters");
        }
    }
    (void)wire_get_u8(&reader);
    if (!wire_reader_done(&reader)) {
        return diag_set(&connection->diag, ERR_PROTOCOL,
            "invalid startup packet layout: expected terminator as last byte");
    }
    if (startup->user == NULL || startup->user[0] == '\0') {
        return diag_set(&connection->diag, ERR_INVALID_AUTHORIZATION,
            "no PostgreSQL user name specified in startup packet");
    }
    if (startup->database == NULL || startup->database[0] == '\0') {
        startup->database = startup->user;
    }
    return ERR_OK;
}

/* The words are PostgreSQL's, and what drivers wait for. */
static enum err
refuse_for_now(struct connection *connection)
{
    const struct txn_recovery_progress *progress = connection->options.progress;
    enum err err =
        diag_set(&connection->diag, ERR_CANNOT_CONNECT_NOW, "the database system is starting up");
    uint64_t from = atomic_load(&progress->from);
    uint64_t at = atomic_load(&progress->at);
    uint64_t limit = atomic_load(&progress->limit);
    if (from != 0 && at > from && limit > at) {
        diag_detail(&connection->diag,
            "Recovery has applied %.1f of about %.1f MB of the log (%.0f %%).",
            (double)(at - from) / 1e6, (double)(limit - from) / 1e6,
            (double)(at - from) * 100 / (double)(limit - from));
    }
    return err;
}

enum {
    AUTHENTICATION_SASL = 10,
    AUTHENTICATION_SASL_CONTINUE = 11,
    AUTHENTICATION_SASL_FINAL = 12,
    PASSWORD_MESSAGE_MAX = 1024,
};

struct login {
    struct connection *connection;
    const struct startup *startup;
    struct host_decision decision;
    struct world_tls_info tls;
    bool encrypted;
    int64_t deadline;
};

/* The body of a 'p' message. */
static enum err
receive_password(struct task *task, struct login *login, struct slice *body, struct diag *diag)
{
    struct connection *connection = login->connection;
    for (;;) {
        struct slice pending = pending_input(connection);
        size_t size = pending.size < 5 ? 0 : (size_t)load_be32(pending.data + 1) + 1;
        if (pending.size > 0 && (pending.data[0] != 'p' || size > PASSWORD_MESSAGE_MAX ||
                                    (pending.size >= 5 && size < 5))) {
            return diag_set(
                diag, ERR_PROTOCOL, "expected SASL response, got message type %d", pending.data[0]);
        }
        if (size > 0 && pending.size >= size) {
            *body = slice_of(pending.data + 5, size - 5);
            connection->consumed += size;
            return ERR_OK;
        }
        TRY(receive_more(task, connection, 0, login->deadline, TASK_TERMINATE, diag));
    }
}

/* text: all of the message, or a list of texts with an empty one at its end. */
static enum err
say_sasl(struct task *task, struct connection *connection, uint32_t code, const char *text,
    size_t size, struct diag *diag)
{
    size_t start = wire_begin(&connection->out, 'R');
    buffer_add_be32(&connection->out, code);
    buffer_add(&connection->out, text, size);
    wire_end(&connection->out, start);
    return flush(task, connection, diag);
}

/* SCRAM-SHA-256-PLUS binds the exchange to the channel: nobody between us can hand it on. */
static enum err
authenticate_scram(struct task *task, struct login *login, const char *verifier, struct diag *diag)
{
    static const char mechanisms[] = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
    enum {
        PLAIN_AT = sizeof "SCRAM-SHA-256-PLUS"
    };
    struct connection *connection = login->connection;
    struct scram_exchange *exchange = arena_alloc(&connection->message, sizeof *exchange);
    struct slice body;
    const char *answer = NULL;
    char final[80];
    uint8_t hash[64];
    size_t hash_size = world_tls_end_point(connection->options.socket, hash);
    struct scram_channel channel = {.offered = hash_size > 0, .hash = slice_of(hash, hash_size)};
    size_t skip = channel.offered ? 0 : PLAIN_AT;
    TRY(say_sasl(
        task, connection, AUTHENTICATION_SASL, mechanisms + skip, sizeof mechanisms - skip, diag));
    TRY(receive_password(task, login, &body, diag));
    struct wire_reader reader = wire_reader_of(body);
    const char *mechanism = wire_get_text(&reader);
    uint32_t size = wire_get_u32(&reader);
    struct slice first = wire_get_bytes(&reader, size);
    channel.chosen = channel.offered && strcmp(mechanism, mechanisms) == 0;
    if (!wire_reader_done(&reader) ||
        (!channel.chosen && strcmp(mechanism, mechanisms + PLAIN_AT) != 0)) {
        return diag_set(
            diag, ERR_PROTOCOL, "client selected an invalid SASL authentication mechanism");
    }
    TRY(scram_begin(exchange, login->startup->user, verifier, connection->options.secret,
        connection->world, &channel, first, &answer, diag));
    TRY(say_sasl(task, connection, AUTHENTICATION_SASL_CONTINUE, answer, strlen(answer), diag));
    TRY(receive_password(task, login, &body, diag));
    TRY(scram_finish(exchange, login->startup->user, body, final, diag));
    return say_sasl(task, connection, AUTHENTICATION_SASL_FINAL, final, strlen(final), diag);
}

/* The client's certificate, if the rule asks for one (OpenSSL has verified what there is). */
static enum err
check_certificate(const struct login *login, struct diag *diag)
{
    const char *user = login->startup->user;
    if (login->decision.certificate == CERTIFICATE_ANY) {
        return ERR_OK;
    }
    if (!login->tls.verified) {
        return diag_set(
            diag, ERR_INVALID_AUTHORIZATION, "connection requires a valid client certificate");
    }
    if (login->decision.certificate == CERTIFICATE_NAMES_USER &&
        strcmp(login->tls.common_name, user) != 0) {
        (void)diag_set(diag, ERR_INVALID_AUTHORIZATION,
            "certificate authentication failed for user \"%s\"", user);
        diag_detail(diag, "The certificate is of \"%s\".", login->tls.common_name);
        return ERR_INVALID_AUTHORIZATION;
    }
    return ERR_OK;
}

static enum err
authenticate(struct task *task, void *arg, const char *verifier, struct diag *diag)
{
    struct login *login = arg;
    TRY(check_certificate(login, diag));
    return login->decision.method == AUTH_SCRAM ? authenticate_scram(task, login, verifier, diag)
                                                : ERR_OK;
}

/* What the host rules say. */
static enum err
check_host(struct login *login)
{
    struct connection *connection = login->connection;
    const struct startup *startup = login->startup;
    const char *peer = connection->options.peer;
    const char *colon = strrchr(peer, ':');
    int size = colon == NULL ? (int)strlen(peer) : (int)(colon - peer);
    const char *encryption = login->encrypted ? "SSL encryption" : "no encryption";
    if (connection->options.rules == NULL) {
        login->decision.method = AUTH_TRUST;
        return ERR_OK;
    }
    login->decision = host_rules_match(
        connection->options.rules, startup->database, startup->user, peer, login->encrypted);
    switch (login->decision.method) {
    case AUTH_TRUST:
    case AUTH_SCRAM:
    case AUTH_CERTIFICATE:
        return ERR_OK;
    case AUTH_REJECT:
        return diag_set(&connection->diag, ERR_INVALID_AUTHORIZATION,
            "tusk_hba.conf rejects connection for host \"%.*s\", user \"%s\", database \"%s\", "
            "%s",
            size, peer, startup->user, startup->database, encryption);
    default:
        return diag_set(&connection->diag, ERR_INVALID_AUTHORIZATION,
            "no tusk_hba.conf entry for host \"%.*s\", user \"%s\", database \"%s\", %s", size,
            peer, startup->user, startup->database, encryption);
    }
}

static enum err
start_session(struct task *task, struct connection *connection, const struct startup *startup,
    int64_t deadline)
{
    if (connection->options.engine == NULL) {
        return refuse_for_now(connection);
    }
    if (startup->minor > 0 || startup->unknown_count > 0) {
        wire_put_negotiate(&connection->out, 0, startup->unknown, startup->unknown_count);
    }
    struct login *login = arena_alloc(&connection->message, sizeof *login);
    *login = (struct login){.connection = connection, .startup = startup, .deadline = deadline};
    login->encrypted = world_tls_info(connection->options.socket, &login->tls);
    TRY(check_host(login));
    uint32_t secret = 0;
    world_random_bytes(connection->world, &secret, sizeof secret);
    bool ask =
        login->decision.method == AUTH_SCRAM || login->decision.certificate != CERTIFICATE_ANY;
    struct sql_session_options options = {
        .user = startup->user,
        .database = startup->database,
        .settings = startup->settings,
        .peer = connection->options.peer,
        .secret = secret,
        .tls = login->encrypted ? &login->tls : NULL,
        .authenticate = ask ? authenticate : NULL,
        .authenticate_arg = login,
    };
    TRY(sql_session_new(task, connection->options.engine, &options, &connection->sink,
        &connection->session, &connection->diag));

    struct buffer *out = &connection->out;
    wire_put_authentication(out, 0);
    sql_session_report_settings(connection->session);
    wire_put_backend_key(out, sql_session_pid(connection->session), secret);
    wire_put_ready(out, 'I');
    connection->ready = true;
    return flush(task, connection, &connection->diag);
}

/* Nothing can be said in clear after a handshake that failed. */
static enum err
encrypt(struct task *task, struct connection *connection, int64_t deadline)
{
    buffer_add_u8(&connection->out, 'S');
    TRY(flush(task, connection, &connection->diag));
    enum err err = world_tls_start(task, connection->options.socket, connection->options.tls, NULL,
        false, deadline, &connection->diag);
    if (err != ERR_OK) {
        connection->broken = true;
        world_log(connection->world, "connection from %s refused: %s", connection->options.peer,
            connection->diag.message);
    }
    return err;
}

/* ERR_OK with session == NULL: nothing more is to be said on this connection. */
static enum err
start_up(struct task *task, struct connection *connection)
{
    int64_t deadline = world_clock_us(connection->world) + AUTHENTICATION_TIMEOUT_US;
    bool ssl_asked = false;
    bool gssenc_asked = false;
    for (;;) {
        struct slice body;
        TRY(next_startup_packet(task, connection, deadline, &body));
        uint32_t code = load_be32(body.data);
        if (code == WIRE_CANCEL_REQUEST) {
            if (body.size == 12 && connection->options.engine != NULL) {
                sql_engine_cancel(
                    connection->options.engine, load_be32(body.data + 4), load_be32(body.data + 8));
            }
            return ERR_OK;
        }
        bool *asked = code == WIRE_SSL_REQUEST      ? &ssl_asked
                      : code == WIRE_GSSENC_REQUEST ? &gssenc_asked
                                                    : NULL;
        if (asked == NULL) {
            struct startup *startup = arena_alloc(&connection->message, sizeof *startup);
            TRY(read_startup(connection, body, startup));
            return start_session(task, connection, startup, deadline);
        }
        if (*asked || body.size != 4) {
            return diag_set(&connection->diag, ERR_PROTOCOL, "unexpected encryption request");
        }
        *asked = true;
        if (connection->consumed != connection->in.size) {
            /* Bytes sent before our answer could be an injection in front of the encryption. */
            return diag_set(
                &connection->diag, ERR_PROTOCOL, "received unencrypted data after SSL request");
        }
        if (code == WIRE_SSL_REQUEST && connection->options.tls != NULL) {
            TRY(encrypt(task, connection, deadline));
            gssenc_asked = true; /* one of them is enough */
        } else {
            buffer_add_u8(&connection->out, 'N');
            TRY(flush(task, connection, &connection->diag));
        }
    }
}

/* ---- the extended protocol
 * --------------------------------------------------------------------------- */

static enum err
bad_format(struct connection *connection)
{
    return diag_set(&connection->diag, ERR_PROTOCOL, "invalid message format");
}

static enum err
on_parse(struct task *task, struct connection *connection, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    const char *name = wire_get_text(&reader);
    const char *text = wire_get_text(&reader);
    uint16_t count = wire_get_u16(&reader);
    if (reader.failed || (size_t)(reader.end - reader.at) != 4 * (size_t)count) {
        return bad_format(connection);
    }
    oid_t *types = arena_array(&connection->message, count, sizeof *types);
    for (uint16_t i = 0; i < count; i++) {
        types[i] = wire_get_u32(&reader);
    }
    TRY(sql_session_parse(task, connection->session, name, text, types, count, &connection->diag));
    wire_put_empty(&connection->out, '1');
    return ERR_OK;
}

/* PostgreSQL's rule: no format codes is all text, one is for all, else one each. */
static enum err
spread_formats(struct connection *connection, const uint16_t *codes, uint32_t code_count,
    uint32_t count, const char *what, bool *binary)
{
    if (code_count > 1 && code_count != count) {
        return diag_set(&connection->diag, ERR_PROTOCOL,
            "bind message has %u %s formats but %u %ss", code_count, what, count, what);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint16_t code = code_count == 0 ? 0 : codes[code_count == 1 ? 0 : i];
        if (code > 1) {
            return diag_set(&connection->diag, ERR_INVALID_PARAMETER_VALUE,
                "unsupported format code: %u", code);
        }
        binary[i] = code == 1;
    }
    return ERR_OK;
}

static uint16_t *
read_codes(struct connection *connection, struct wire_reader *reader, uint16_t *count)
{
    *count = wire_get_u16(reader);
    uint16_t *codes = arena_array(&connection->message, (size_t)*count + 1, sizeof *codes);
    for (uint16_t i = 0; i < *count; i++) {
        codes[i] = wire_get_u16(reader);
    }
    return codes;
}

static enum err
on_bind(struct task *task, struct connection *connection, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    const char *portal = wire_get_text(&reader);
    const char *statement = wire_get_text(&reader);
    uint16_t code_count = 0;
    uint16_t *codes = read_codes(connection, &reader, &code_count);
    uint16_t count = wire_get_u16(&reader);
    if (reader.failed) {
        return bad_format(connection);
    }
    bool *binary = arena_array(&connection->message, (size_t)count + 1, sizeof *binary);
    TRY(spread_formats(connection, codes, code_count, count, "parameter", binary));
    struct sql_parameter *parameters =
        arena_array(&connection->message, (size_t)count + 1, sizeof *parameters);
    for (uint16_t i = 0; i < count && !reader.failed; i++) {
        uint32_t size = wire_get_u32(&reader);
        parameters[i].binary = binary[i];
        if (size == UINT32_MAX) {
            parameters[i].null = true;
        } else {
            parameters[i].bytes = wire_get_bytes(&reader, size);
        }
    }
    uint16_t result_count = 0;
    uint16_t *result_codes = read_codes(connection, &reader, &result_count);
    if (!wire_reader_done(&reader)) {
        return bad_format(connection);
    }
    bool *result_binary =
        arena_array(&connection->message, (size_t)result_count + 1, sizeof *result_binary);
    for (uint16_t i = 0; i < result_count; i++) {
        if (result_codes[i] > 1) {
            return diag_set(&connection->diag, ERR_INVALID_PARAMETER_VALUE,
                "unsupported format code: %u", result_codes[i]);
        }
        result_binary[i] = result_codes[i] == 1;
    }
    TRY(sql_session_bind(task, connection->session, portal, statement, parameters, count,
        result_binary, result_count, &connection->diag));
    wire_put_empty(&connection->out, '2');
    return ERR_OK;
}

static enum err
on_describe(struct task *task, struct connection *connection, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    char kind = (char)wire_get_u8(&reader);
    const char *name = wire_get_text(&reader);
    if (!wire_reader_done(&reader)) {
        return bad_format(connection);
    }
    struct sql_description description = {0};
    if (kind == 'S') {
        TRY(sql_session_describe_statement(
            task, connection->session, name, &description, &connection->diag));
        size_t start = wire_begin(&connection->out, 't');
        buffer_add_be16(&connection->out, (uint16_t)description.param_count);
        for (uint32_t i = 0; i < description.param_count; i++) {
            buffer_add_be32(&connection->out, description.param_types[i]);
        }
        wire_end(&connection->out, start);
    } else if (kind == 'P') {
        TRY(sql_session_describe_portal(
            task, connection->session, name, &description, &connection->diag));
    } else {
        return diag_set(
            &connection->diag, ERR_PROTOCOL, "invalid DESCRIBE message subtype %d", kind);
    }
    if (description.returns_rows) {
        put_row_description(
            &connection->out, description.columns, description.column_count, description.binary);
    } else {
        wire_put_empty(&connection->out, 'n');
    }
    return ERR_OK;
}

static enum err
on_execute(struct task *task, struct connection *connection, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    const char *portal = wire_get_text(&reader);
    uint32_t rows_max = wire_get_u32(&reader);
    if (!wire_reader_done(&reader)) {
        return bad_format(connection);
    }
    bool suspended = false;
    TRY(sql_session_execute(task, connection->session, portal, rows_max > INT32_MAX ? 0 : rows_max,
        &suspended, &connection->diag));
    if (suspended) {
        wire_put_empty(&connection->out, 's');
    }
    return ERR_OK;
}

static enum err
on_flush(struct task *task, struct connection *connection, struct slice body)
{
    return body.size == 0 ? flush(task, connection, &connection->diag) : bad_format(connection);
}

static enum err
on_route(struct task *task, struct connection *connection, struct slice body)
{
    (void)task;
    enum err err = sql_session_route(connection->session, body, &connection->diag);
    if (err != ERR_OK) {
        /* Only a router sends it; one that sends nonsense is not to be talked to. */
        connection->ended = true;
    }
    return err;
}

static enum err
on_settled(struct task *task, struct connection *connection, struct slice body)
{
    (void)task;
    enum err err = sql_session_settled(connection->session, body, &connection->diag);
    connection->ended = connection->ended || err != ERR_OK;
    return err;
}

static enum err
on_close(struct task *task, struct connection *connection, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    char kind = (char)wire_get_u8(&reader);
    const char *name = wire_get_text(&reader);
    if (!wire_reader_done(&reader)) {
        return bad_format(connection);
    }
    if (kind == 'S') {
        sql_session_close_statement(task, connection->session, name);
    } else if (kind == 'P') {
        sql_session_close_portal(task, connection->session, name);
    } else {
        return diag_set(&connection->diag, ERR_PROTOCOL, "invalid CLOSE message subtype %d", kind);
    }
    wire_put_empty(&connection->out, '3');
    return ERR_OK;
}

/* ---- the loop
 * -------------------------------------------------------------------------------------------- */

static void
ready_for_query(struct task *task, struct connection *connection)
{
    sql_session_report_changes(connection->session);
    (void)sql_session_deliver(connection->session, false);
    char status = sql_session_status(connection->session);
    if (connection->client != NULL) {
        status = connection->options.relay->status(task, connection->client, status);
    }
    wire_put_ready(&connection->out, status);
    connection->ready = true;
    if (flush(task, connection, &connection->diag) != ERR_OK) {
        connection->ended = true;
    }
}

/* The function call protocol. */
static void
on_call(struct task *task, struct connection *connection)
{
    enum err err = diag_set(&connection->diag, ERR_FEATURE_NOT_SUPPORTED,
        "the function call protocol is not supported");
    sql_session_abort(task, connection->session);
    if (report(task, connection, err)) {
        ready_for_query(task, connection);
    }
}

static void
on_query(struct task *task, struct connection *connection, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    const char *text = wire_get_text(&reader);
    enum err err = wire_reader_done(&reader) ? ERR_OK : bad_format(connection);
    if (err == ERR_OK) {
        err = sql_session_query(task, connection->session, text, body.size - 1, &connection->diag);
    } else {
        sql_session_abort(task, connection->session);
    }
    if (err == ERR_OK || report(task, connection, err)) {
        ready_for_query(task, connection);
    }
}

static void
on_sync(struct task *task, struct connection *connection, struct slice body)
{
    connection->skipping = false;
    enum err err = ERR_OK;
    if (body.size == 0) {
        err = sql_session_sync(task, connection->session, &connection->diag);
    } else {
        err = bad_format(connection);
        sql_session_abort(task, connection->session);
    }
    if (err == ERR_OK || report(task, connection, err)) {
        ready_for_query(task, connection);
    }
}

typedef enum err on_message(struct task *task, struct connection *connection, struct slice body);

static void
on_extended(struct task *task, struct connection *connection, on_message *handle, struct slice body)
{
    if (connection->skipping) {
        return;
    }
    enum err err = handle(task, connection, body);
    if (err != ERR_OK) {
        sql_session_abort(task, connection->session);
        connection->skipping = true;
        /* Told at once: the client may wait for it behind a Flush, which is skipped. */
        if (report(task, connection, err) && flush(task, connection, &connection->diag) != ERR_OK) {
            connection->ended = true;
        }
    } else if (flush_if_large(task, connection, &connection->diag) != ERR_OK) {
        connection->ended = true;
    }
}

/* The relay has not taken the message up to now: false if the session shall. */
static bool
on_relay(struct task *task, struct connection *connection, char type, struct slice body)
{
    const struct connection_relay *relay = connection->options.relay;
    if (connection->client == NULL || (connection->skipping && type != 'S') || type == 'X') {
        return false;
    }
    switch (relay->message(task, connection->client, type, body, &connection->diag)) {
    case RELAY_SESSION:
        return false;
    case RELAY_DONE:
        if (flush_if_large(task, connection, &connection->diag) != ERR_OK) {
            connection->ended = true;
        }
        return true;
    case RELAY_READY:
        connection->skipping = false;
        ready_for_query(task, connection);
        return true;
    case RELAY_FAILED:
        sql_session_abort(task, connection->session);
        connection->skipping = type != 'Q' && type != 'S' && type != 'F';
        if (!report(task, connection, connection->diag.code)) {
            return true;
        }
        if (!connection->skipping) {
            ready_for_query(task, connection);
        } else if (flush(task, connection, &connection->diag) != ERR_OK) {
            connection->ended = true;
        }
        return true;
    }
    return false;
}

static void
on_message_of(struct task *task, struct connection *connection, char type, struct slice body)
{
    if (on_relay(task, connection, type, body)) {
        return;
    }
    switch (type) {
    case 'Q':
        if (!connection->skipping) {
            on_query(task, connection, body);
        }
        break;
    case 'P':
        on_extended(task, connection, on_parse, body);
        break;
    case 'B':
        on_extended(task, connection, on_bind, body);
        break;
    case 'D':
        on_extended(task, connection, on_describe, body);
        break;
    case 'E':
        on_extended(task, connection, on_execute, body);
        break;
    case 'C':
        on_extended(task, connection, on_close, body);
        break;
    case 'S':
        on_sync(task, connection, body);
        break;
    case 'H':
        on_extended(task, connection, on_flush, body);
        break;
    case SHARD_ROUTE_MESSAGE:
        on_extended(task, connection, on_route, body);
        break;
    case SHARD_SETTLED_MESSAGE:
        on_extended(task, connection, on_settled, body);
        break;
    case 'X':
        connection->ended = true;
        break;
    case 'd':
    case 'c':
    case 'f':
        break; /* the rest of a COPY that has failed: ignored (55.2.6) */
    case 'F':
        if (!connection->skipping) {
            on_call(task, connection);
        }
        break;
    default:
        ASSERT(false); /* wire_message_size lets no other type through */
    }
}

/* What others have told an idle client, until there is nothing more: then the next will wake us. */
static void
deliver(struct task *task, struct connection *connection)
{
    while (sql_session_deliver(connection->session, true)) {
        if (flush(task, connection, &connection->diag) != ERR_OK) {
            return; /* reading finds it out */
        }
    }
}

static void
serve(struct task *task, struct connection *connection)
{
    while (!connection->ended) {
        char type = 0;
        struct slice body;
        int64_t deadline = sql_session_idle_deadline(connection->session);
        if (connection->ready) {
            task_interrupt_clear(task, TASK_NOTIFY);
            deliver(task, connection);
        }
        enum err err = next_message(task, connection, deadline,
            TASK_TERMINATE | (connection->ready ? TASK_NOTIFY : 0), &type, &body,
            &connection->diag);
        if (err == ERR_NOTIFIED) {
            continue;
        }
        if (err == ERR_IDLE_SESSION_TIMEOUT && sql_session_status(connection->session) != 'I') {
            (void)diag_set(&connection->diag, ERR_IDLE_IN_TRANSACTION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout");
        } else if (err == ERR_IDLE_SESSION_TIMEOUT) {
            (void)diag_set(&connection->diag, ERR_IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout");
        }
        if (err != ERR_OK) {
            end_with_fatal(task, connection);
            break;
        }
        /* A cancel that came between statements was for one that has ended; one that comes amid
         * a pipeline is for what is left of it. */
        if (connection->ready) {
            task_interrupt_clear(task, TASK_CANCEL);
            connection->ready = false;
        }
        on_message_of(task, connection, type, body);
        arena_reset(&connection->message);
    }
}

void
connection_run(struct task *task, const struct connection_options *options)
{
    struct connection *connection = mem_zalloc(sizeof *connection);
    connection->options = *options;
    connection->world = task_world(task);
    connection->sink = (struct sql_sink){
        .arg = connection,
        .describe = sink_describe,
        .row = sink_row,
        .complete = sink_complete,
        .empty = sink_empty,
        .notice = sink_notice,
        .notify = sink_notify,
        .parameter_status = sink_parameter_status,
        .copy_in_begin = sink_copy_in_begin,
        .copy_in_read = sink_copy_in_read,
        .copy_out_begin = sink_copy_out_begin,
        .copy_out_row = sink_copy_out_row,
        .copy_out_end = sink_copy_out_end,
    };
    connection->read_size = READ_SIZE;
    arena_create(&connection->message, "message");

    enum err err = start_up(task, connection);
    options->started(options->arg);
    arena_reset(&connection->message);
    if (err != ERR_OK) {
        if (!connection->broken && err != ERR_CONNECTION_FAILURE) {
            world_log(connection->world, "connection from %s refused: %s", options->peer,
                connection->diag.message);
        }
        end_with_fatal(task, connection);
    } else if (connection->session != NULL) {
        const struct connection_relay *relay = options->relay;
        connection->client = relay == NULL ? NULL : relay->begin(task, relay->arg, connection);
        serve(task, connection);
        if (connection->client != NULL) {
            relay->end(task, connection->client);
        }
        if (connection->diag.code == ERR_PROTOCOL) {
            world_log(connection->world, "connection from %s closed: %s", options->peer,
                connection->diag.message);
        }
    }
    if (connection->session != NULL) {
        sql_session_delete(task, connection->session);
    }
    world_socket_close(task, connection->options.socket);
    world_tls_release(connection->options.tls);
    arena_destroy(&connection->message);
    buffer_destroy(&connection->in);
    buffer_destroy(&connection->out);
    mem_free(connection);
    options->ended(options->arg);
}
