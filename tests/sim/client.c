#include "tests/sim/client.h"

#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/sim.h"
#include "wire/wire.h"

enum {
    PATIENCE_US = 120 * 1000000, /* for an answer; locks and commits are a matter of milliseconds */
    RETRY_US = 500,
};

void
client_create(struct client *client, struct task *task, const char *name)
{
    *client = (struct client){.task = task, .name = name, .port = SIM_PORT};
    arena_create(&client->arena, "result");
}

void
client_destroy(struct client *client)
{
    client_close(client);
    buffer_destroy(&client->in);
    buffer_destroy(&client->out);
    arena_destroy(&client->arena);
    mem_free(client->values);
}

void
client_close(struct client *client)
{
    if (client->socket != NULL) {
        world_socket_close(client->task, client->socket);
        client->socket = NULL;
    }
    client->in.size = 0;
    client->consumed = 0;
    client->out.size = 0;
    client->status = 0;
}

static enum answer
lose(struct client *client)
{
    client_close(client);
    return client->answer = ANSWER_LOST;
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool
client_send(struct client *client)
{
    struct diag diag;
    enum err err =
        world_send(client->task, client->socket, client->out.data, client->out.size, &diag);
    client->out.size = 0;
    return err == ERR_OK;
}

static bool
receive(struct client *client)
{
    buffer_consume(&client->in, client->consumed);
    client->consumed = 0;
    struct diag diag;
    size_t got = 0;
    uint8_t *to = buffer_reserve(&client->in, 4096);
    int64_t until = world_clock_us(task_world(client->task)) + PATIENCE_US;
    enum err err = world_recv(client->task, client->socket, to, 4096, until, 0, &got, &diag);
    if (err == ERR_IDLE_SESSION_TIMEOUT) {
        sim_fail("%s: no answer for %d s", client->name, PATIENCE_US / 1000000);
    }
    client->in.size += got;
    return err == ERR_OK && got > 0;
}

/* The next message; its body stays until the one after it. */
static bool
next_message(struct client *client, char *type, struct slice *body)
{
    for (;;) {
        const uint8_t *at = client->in.data + client->consumed;
        size_t there = client->in.size - client->consumed;
        if (there >= 5) {
            size_t size = load_be32(at + 1);
            if (size < 4 || size > (1U << 28)) {
                sim_fail("%s: a message of type %d and length %zu", client->name, at[0], size);
            }
            if (there >= size + 1) {
                *type = (char)at[0];
                *body = slice_of(at + 5, size - 4);
                client->consumed += size + 1;
                return true;
            }
        }
        if (!receive(client)) {
            return false;
        }
    }
}

static void
take_error(struct client *client, struct slice body, bool *fatal)
{
    struct wire_reader reader = wire_reader_of(body);
    for (;;) {
        uint8_t field = wire_get_u8(&reader);
        if (field == 0) {
            break;
        }
        const char *text = wire_get_text(&reader);
        if (field == 'C') {
            (void)snprintf(client->sqlstate, sizeof client->sqlstate, "%s", text);
        } else if (field == 'M') {
            (void)snprintf(client->message, sizeof client->message, "%s", text);
        } else if (field == 'V') {
            *fatal = strcmp(text, "ERROR") != 0;
        }
    }
}

static void
take_row(struct client *client, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    client->columns = wire_get_u16(&reader);
    size_t at = (size_t)client->rows * client->columns;
    if (at + client->columns > client->values_capacity) {
        client->values_capacity = (at + client->columns) * 2;
        client->values =
            mem_realloc(client->values, client->values_capacity * sizeof *client->values);
    }
    for (uint32_t i = 0; i < client->columns; i++) {
        uint32_t size = wire_get_u32(&reader);
        client->values[at + i] = NULL;
        if (size != UINT32_MAX) {
            struct slice bytes = wire_get_bytes(&reader, size);
            client->values[at + i] =
                arena_strndup(&client->arena, (const char *)bytes.data, bytes.size);
        }
    }
    client->rows++;
    if (!wire_reader_done(&reader)) {
        sim_fail("%s: a malformed DataRow", client->name);
    }
}

/* Everything to ReadyForQuery. */
static enum answer
take_answer(struct client *client)
{
    client->answer = ANSWER_DONE;
    client->rows = 0;
    client->columns = 0;
    client->tag[0] = '\0';
    client->sqlstate[0] = '\0';
    client->message[0] = '\0';
    arena_reset(&client->arena);
    for (;;) {
        char type = 0;
        struct slice body;
        bool fatal = false;
        if (!next_message(client, &type, &body)) {
            return lose(client);
        }
        struct wire_reader reader = wire_reader_of(body);
        switch (type) {
        case 'Z':
            client->status = (char)wire_get_u8(&reader);
            return client->answer;
        case 'E':
            take_error(client, body, &fatal);
            client->answer = ANSWER_ERROR;
            if (fatal) {
                sim_tell("%s: FATAL %s %s", client->name, client->sqlstate, client->message);
                if (strcmp(client->sqlstate, "57P01") != 0) { /* the server shuts down */
                    sim_check_error(client, "between statements");
                }
                return lose(client);
            }
            break;
        case 'D':
            take_row(client, body);
            break;
        case 'C':
            (void)snprintf(client->tag, sizeof client->tag, "%s", wire_get_text(&reader));
            break;
        case 'K':
            client->pid = wire_get_u32(&reader);
            client->secret = wire_get_u32(&reader);
            break;
        case 'T':
            client->rows = 0; /* of several statements the last one's */
            break;
        case 'R':
        case 'S':
        case 'N':
        case 'I':
        case '1':
        case '2':
        case 'n':
            break;
        default:
            sim_fail("%s: an unexpected message of type '%c'", client->name, type);
        }
    }
}

/* ---- the connection -------------------------------------------------------------------------- */

static bool
start_up(struct client *client)
{
    struct buffer *out = &client->out;
    buffer_add_be32(out, 0);
    buffer_add_be32(out, WIRE_VERSION_3_0);
    wire_put_text(out, "user");
    wire_put_text(out, "sim");
    wire_put_text(out, "database");
    wire_put_text(out, client->database == NULL ? "postgres" : client->database);
    wire_put_text(out, "application_name");
    wire_put_text(out, client->name);
    buffer_add_u8(out, 0);
    store_be32(out->data, (uint32_t)out->size);
    if (!client_send(client)) {
        (void)lose(client);
        return false;
    }
    enum answer answer = take_answer(client);
    if (answer == ANSWER_ERROR) {
        sim_check_error(client, "start-up");
        client_close(client);
    }
    return answer == ANSWER_DONE;
}

bool
client_connect(struct client *client, int64_t patience_us)
{
    struct world *world = task_world(client->task);
    int64_t until = world_clock_us(world) + patience_us;
    client_close(client);
    for (;;) {
        struct diag diag;
        if (world_connect(client->task, "127.0.0.1", client->port, &client->socket, &diag) !=
            ERR_OK) {
            client->socket = NULL;
        } else if (start_up(client)) {
            return true;
        }
        if (world_clock_us(world) >= until) {
            return false;
        }
        task_sleep(client->task, RETRY_US);
        struct diag interrupted;
        if (task_interrupted(client->task, &interrupted) != ERR_OK) {
            return false;
        }
    }
}

void
client_cancel(struct task *task, const struct client *other)
{
    struct world_socket *socket = NULL;
    struct diag diag;
    if (world_connect(task, "127.0.0.1", other->port, &socket, &diag) != ERR_OK) {
        return;
    }
    uint8_t message[16];
    store_be32(message, sizeof message);
    store_be32(message + 4, WIRE_CANCEL_REQUEST);
    store_be32(message + 8, other->pid);
    store_be32(message + 12, other->secret);
    (void)world_send(task, socket, message, sizeof message, &diag);
    world_socket_close(task, socket);
}

/* ---- queries --------------------------------------------------------------------------------- */

static void
put_extended(struct buffer *out, const char *text)
{
    size_t start = wire_begin(out, 'P');
    wire_put_text(out, "");
    wire_put_text(out, text);
    buffer_add_be16(out, 0);
    wire_end(out, start);
    start = wire_begin(out, 'B');
    wire_put_text(out, "");
    wire_put_text(out, "");
    buffer_add_be16(out, 0);
    buffer_add_be16(out, 0);
    buffer_add_be16(out, 0);
    wire_end(out, start);
    start = wire_begin(out, 'E');
    wire_put_text(out, "");
    buffer_add_be32(out, 0);
    wire_end(out, start);
    wire_put_empty(out, 'S');
}

enum answer
client_query_text(struct client *client, const char *text)
{
    if (client->socket == NULL) {
        return client->answer = ANSWER_LOST;
    }
    kept->statements++;
    if (kept_one_in(3) && strchr(text, ';') == NULL) {
        put_extended(&client->out, text);
    } else {
        size_t start = wire_begin(&client->out, 'Q');
        wire_put_text(&client->out, text);
        wire_end(&client->out, start);
    }
    enum answer answer = client_send(client) ? take_answer(client) : lose(client);
    if (sim_verbose) {
        sim_tell("%s: %.200s -> %s %s%s%s %u rows", client->name, text,
            answer == ANSWER_DONE   ? client->tag
            : answer == ANSWER_LOST ? "LOST"
                                    : "ERROR",
            client->sqlstate, client->sqlstate[0] == '\0' ? "" : " ", client->message,
            client->rows);
    }
    return answer;
}

enum answer
client_query(struct client *client, const char *fmt, ...)
{
    struct buffer text = {0};
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    (void)vsnprintf((char *)buffer_extend(&text, (size_t)size + 1), (size_t)size + 1, fmt, again);
    va_end(again);
    enum answer answer = client_query_text(client, (const char *)text.data);
    buffer_destroy(&text);
    return answer;
}

int64_t
client_int(const struct client *client, uint32_t row, uint32_t column)
{
    const char *text = row < client->rows ? client_value(client, row, column) : NULL;
    char *end = NULL;
    int64_t value = text == NULL ? 0 : strtoll(text, &end, 10);
    if (text == NULL || *end != '\0') {
        sim_fail("%s: \"%s\" is not a number", client->name, text == NULL ? "NULL" : text);
    }
    return value;
}

bool
client_is_error(const struct client *client, const char *sqlstate)
{
    return client->answer == ANSWER_ERROR && strcmp(client->sqlstate, sqlstate) == 0;
}
