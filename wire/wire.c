#include "wire/wire.h"

#include <stdio.h>

#include "base/assert.h"

size_t
wire_begin(struct buffer *out, char type)
{
    buffer_add_u8(out, (uint8_t)type);
    size_t start = out->size;
    (void)buffer_extend(out, 4);
    return start;
}

void
wire_end(struct buffer *out, size_t start)
{
    ASSERT(start + 4 <= out->size && out->size - start <= UINT32_MAX);
    store_be32(out->data + start, (uint32_t)(out->size - start));
}

void
wire_put_text(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text) + 1);
}

void
wire_put_empty(struct buffer *out, char type)
{
    wire_end(out, wire_begin(out, type));
}

void
wire_put_authentication(struct buffer *out, uint32_t code)
{
    size_t start = wire_begin(out, 'R');
    buffer_add_be32(out, code);
    wire_end(out, start);
}

void
wire_put_parameter_status(struct buffer *out, const char *name, const char *value)
{
    size_t start = wire_begin(out, 'S');
    wire_put_text(out, name);
    wire_put_text(out, value);
    wire_end(out, start);
}

void
wire_put_backend_key(struct buffer *out, uint32_t pid, uint32_t secret)
{
    size_t start = wire_begin(out, 'K');
    buffer_add_be32(out, pid);
    buffer_add_be32(out, secret);
    wire_end(out, start);
}

void
wire_put_notification(struct buffer *out, uint32_t pid, const char *channel, const char *payload)
{
    size_t start = wire_begin(out, 'A');
    buffer_add_be32(out, pid);
    wire_put_text(out, channel);
    wire_put_text(out, payload);
    wire_end(out, start);
}

void
wire_put_ready(struct buffer *out, char status)
{
    size_t start = wire_begin(out, 'Z');
    buffer_add_u8(out, (uint8_t)status);
    wire_end(out, start);
}

void
wire_put_command_complete(struct buffer *out, const char *tag)
{
    size_t start = wire_begin(out, 'C');
    wire_put_text(out, tag);
    wire_end(out, start);
}

void
wire_put_negotiate(
    struct buffer *out, uint32_t minor, const char *const *options, uint32_t option_count)
{
    size_t start = wire_begin(out, 'v');
    buffer_add_be32(out, WIRE_VERSION_3_0 + minor); /* as PostgreSQL sends it: the whole number */
    buffer_add_be32(out, option_count);
    for (uint32_t i = 0; i < option_count; i++) {
        wire_put_text(out, options[i]);
    }
    wire_end(out, start);
}

static void
put_field(struct buffer *out, char field, const char *text)
{
    if (text[0] != '\0') {
        buffer_add_u8(out, (uint8_t)field);
        wire_put_text(out, text);
    }
}

void
wire_put_diag(struct buffer *out, char type, const char *severity, const struct diag *diag)
{
    size_t start = wire_begin(out, type);
    put_field(out, 'S', severity);
    put_field(out, 'V', severity);
    put_field(out, 'C', err_sqlstate(diag->code));
    buffer_add_u8(out, 'M');
    wire_put_text(out, diag->message);
    put_field(out, 'D', diag->detail);
    put_field(out, 'H', diag->hint);
    put_field(out, 'W', diag->context);
    if (diag->position > 0) {
        char position[16];
        (void)snprintf(position, sizeof position, "%u", diag->position);
        put_field(out, 'P', position);
    }
    put_field(out, 's', diag->schema);
    put_field(out, 't', diag->table);
    put_field(out, 'c', diag->column);
    put_field(out, 'n', diag->constraint);
    if (diag->file != NULL) {
        char line[16];
        (void)snprintf(line, sizeof line, "%d", diag->line);
        put_field(out, 'F', diag->file);
        put_field(out, 'L', line);
    }
    if (diag->routine != NULL) {
        put_field(out, 'R', diag->routine);
    }
    buffer_add_u8(out, 0);
    wire_end(out, start);
}

struct wire_reader
wire_reader_of(struct slice body)
{
    return (struct wire_reader){.at = body.data, .end = body.data + body.size};
}

struct slice
wire_get_bytes(struct wire_reader *reader, size_t size)
{
    if (reader->failed || (size_t)(reader->end - reader->at) < size) {
        reader->failed = true;
        return (struct slice){0};
    }
    struct slice bytes = slice_of(reader->at, size);
    reader->at += size;
    return bytes;
}

uint8_t
wire_get_u8(struct wire_reader *reader)
{
    struct slice bytes = wire_get_bytes(reader, 1);
    return bytes.size == 0 ? 0 : bytes.data[0];
}

uint16_t
wire_get_u16(struct wire_reader *reader)
{
    struct slice bytes = wire_get_bytes(reader, 2);
    return bytes.size == 0 ? 0 : load_be16(bytes.data);
}

uint32_t
wire_get_u32(struct wire_reader *reader)
{
    struct slice bytes = wire_get_bytes(reader, 4);
    return bytes.size == 0 ? 0 : load_be32(bytes.data);
}

const char *
wire_get_text(struct wire_reader *reader)
{
    size_t left = (size_t)(reader->end - reader->at);
    const uint8_t *nul = reader->failed || left == 0 ? NULL : memchr(reader->at, 0, left);
    if (nul == NULL) {
        reader->failed = true;
        return "";
    }
    const char *text = (const char *)reader->at;
    reader->at = nul + 1;
    return text;
}

bool
wire_reader_done(const struct wire_reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}

enum err
wire_message_size(struct slice bytes, size_t *size, struct diag *diag)
{
    *size = 0;
    if (bytes.size == 0) {
        return ERR_OK;
    }
    uint32_t limit = 0;
    switch (bytes.data[0]) {
    case 'B':
    case 'F':
    case 'P':
    case 'Q':
    case 'd':
    case 'r': /* a router's; shard/route.h, settled.h */
    case 's':
        limit = WIRE_MESSAGE_SIZE_MAX;
        break;
    case 'C':
    case 'D':
    case 'E':
    case 'H':
    case 'S':
    case 'X':
    case 'c':
    case 'f':
        limit = WIRE_SMALL_MESSAGE_MAX;
        break;
    default:
        return diag_set(diag, ERR_PROTOCOL, "invalid frontend message type %d", bytes.data[0]);
    }
    if (bytes.size < 5) {
        return ERR_OK;
    }
    uint32_t length = load_be32(bytes.data + 1);
    if (length < 4 || length > limit) {
        return diag_set(diag, ERR_PROTOCOL, "invalid message length");
    }
    *size = (size_t)length + 1;
    return ERR_OK;
}

const char *
wire_error_field(struct slice body, char field)
{
    struct wire_reader reader = wire_reader_of(body);
    for (;;) {
        char type = (char)wire_get_u8(&reader);
        const char *text = type == '\0' ? "" : wire_get_text(&reader);
        if (type == '\0' || reader.failed || type == field) {
            return reader.failed ? "" : text;
        }
    }
}
