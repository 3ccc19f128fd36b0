/*
 * wire/wire.h - PostgreSQL's protocol, version 3, as bytes.
 *
 * Pure: messages are built at the end of a struct buffer and read from a slice; moving them is the
 * caller's business. Both sides use it (server: backend messages; shell, router: frontend ones).
 * Source: PostgreSQL 15 documentation, chapter 55.7 "Message Formats".
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum {
    WIRE_VERSION_3_0 = 196608,
    WIRE_SSL_REQUEST = 80877103,
    WIRE_GSSENC_REQUEST = 80877104,
    WIRE_CANCEL_REQUEST = 80877102,
    WIRE_STARTUP_SIZE_MAX = 10000,      /* PostgreSQL's MAX_STARTUP_PACKET_LENGTH */
    WIRE_MESSAGE_SIZE_MAX = 0x3fffffff, /* PostgreSQL's PQ_LARGE_MESSAGE_LIMIT */
    WIRE_SMALL_MESSAGE_MAX = 30000,     /* for message types that are never large */
};

/* ---- building -------------------------------------------------------------------------------- */

/* Start a message; the return value goes to wire_end, which fills in the length. */
size_t wire_begin(struct buffer *out, char type);
void wire_end(struct buffer *out, size_t start);
void wire_put_text(struct buffer *out, const char *text); /* with its NUL */

void wire_put_empty(struct buffer *out, char type); /* a message of no content: 1 2 3 n s I c S */
void wire_put_authentication(struct buffer *out, uint32_t code);
void wire_put_parameter_status(struct buffer *out, const char *name, const char *value);
void wire_put_backend_key(struct buffer *out, uint32_t pid, uint32_t secret);
void wire_put_notification(
    struct buffer *out, uint32_t pid, const char *channel, const char *payload);
void wire_put_ready(struct buffer *out, char status);
void wire_put_command_complete(struct buffer *out, const char *tag);
void wire_put_negotiate(
    struct buffer *out, uint32_t minor, const char *const *options, uint32_t option_count);

/* ErrorResponse ('E') or NoticeResponse ('N') of a diag. severity: "ERROR", "FATAL", "NOTICE"... */
void wire_put_diag(struct buffer *out, char type, const char *severity, const struct diag *diag);

/* ---- reading --------------------------------------------------------------------------------- */

/* Reads from a message's body. A read past the end returns zeroes and sets `failed`; checked once
 * at the end with wire_reader_done. */
struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

struct wire_reader wire_reader_of(struct slice body);
uint8_t wire_get_u8(struct wire_reader *reader);
uint16_t wire_get_u16(struct wire_reader *reader);
uint32_t wire_get_u32(struct wire_reader *reader);
struct slice wire_get_bytes(struct wire_reader *reader, size_t size);
const char *wire_get_text(struct wire_reader *reader); /* "" on failure; points into the body */
/* True if all was read and nothing was missing. */
bool wire_reader_done(const struct wire_reader *reader);
/* A field of an ErrorResponse or NoticeResponse: 'M', 'C' ..; "" if it is not there. Points into
 * the body. */
const char *wire_error_field(struct slice body, char field);

/* The size of the first of a client's messages in `bytes` (type byte, length, body), or 0 if its
 * head is not all there. ERR_PROTOCOL if there is no such type or the length cannot be: whatever
 * follows cannot be understood. */
enum err wire_message_size(struct slice bytes, size_t *size, struct diag *diag);

#endif /* WIRE_WIRE_H */
