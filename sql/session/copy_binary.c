/*
 * sql/session/copy_binary.c - COPY's binary format.
 *
 * A signature, flags, an extension to skip; then rows: a count of fields (16 bits), each with its
 * size (32 bits; -1 is NULL) and its bytes in the type's binary form; a count of -1 ends them.
 */
#include "base/mem.h"
#include "sql/session/copy_internal.h"

enum {
    SIGNATURE_SIZE = 11,
    FIELD_SIZE_MAX = 1 << 30,
    FLAGS_CRITICAL = 0xFFFF0000, /* who does not know one of these must give up */
};

static const uint8_t signature[SIGNATURE_SIZE] = "PGCOPY\n\377\r\n";

/* ---- in -------------------------------------------------------------------------------------- */

/* Appends `size` bytes of the data to the line. False: they end before. */
static enum err
take(struct copier *copier, size_t size, bool *whole)
{
    *whole = true;
    while (size > 0) {
        TRY(copy__next_chunk(copier));
        if (copier->chunk.size == 0) {
            *whole = false;
            return ERR_OK;
        }
        size_t part = copier->chunk.size < size ? copier->chunk.size : size;
        buffer_add(&copier->line, copier->chunk.data, part);
        copier->chunk.data += part;
        copier->chunk.size -= part;
        size -= part;
    }
    return ERR_OK;
}

static enum err
cut_off(struct copier *copier)
{
    return diag_set(copier->diag, ERR_BAD_COPY_FORMAT, "unexpected EOF in COPY data");
}

static enum err
take_u32(struct copier *copier, const char *missing, uint32_t *value)
{
    bool whole = false;
    copier->line.size = 0;
    TRY(take(copier, 4, &whole));
    if (!whole) {
        return diag_set(copier->diag, ERR_BAD_COPY_FORMAT, "%s", missing);
    }
    *value = load_be32(copier->line.data);
    return ERR_OK;
}

enum err
copy__binary_begin_in(struct copier *copier)
{
    bool whole = false;
    uint32_t flags = 0;
    uint32_t extension = 0;
    copier->line.size = 0;
    TRY(take(copier, SIGNATURE_SIZE, &whole));
    if (!whole || memcmp(copier->line.data, signature, SIGNATURE_SIZE) != 0) {
        return diag_set(copier->diag, ERR_BAD_COPY_FORMAT, "COPY file signature not recognized");
    }
    TRY(take_u32(copier, "invalid COPY file header (missing flags)", &flags));
    if ((flags & FLAGS_CRITICAL) != 0) {
        return diag_set(copier->diag, ERR_BAD_COPY_FORMAT,
            (flags & 1U << 16) != 0 ? "invalid COPY file header (WITH OIDS)"
                                    : "unrecognized critical flags in COPY file header");
    }
    TRY(take_u32(copier, "invalid COPY file header (missing length)", &extension));
    if (extension > INT32_MAX) {
        return diag_set(
            copier->diag, ERR_BAD_COPY_FORMAT, "invalid COPY file header (wrong length)");
    }
    while (extension > 0) {
        enum {
            STEP = 65536
        };
        uint32_t part = extension < STEP ? extension : STEP;
        copier->line.size = 0;
        TRY(take(copier, part, &whole));
        if (!whole) {
            return diag_set(
                copier->diag, ERR_BAD_COPY_FORMAT, "invalid COPY file header (wrong length)");
        }
        extension -= part;
    }
    return ERR_OK;
}

/* After the end of the rows there is nothing. */
static enum err
check_end(struct copier *copier)
{
    TRY(copy__next_chunk(copier));
    return copier->chunk.size == 0
               ? ERR_OK
               : diag_set(copier->diag, ERR_BAD_COPY_FORMAT, "received copy data after EOF marker");
}

enum err
copy__binary_row_in(struct copier *copier, uint32_t expected, bool *end)
{
    bool whole = false;
    copier->line.size = 0;
    copier->line_number++;
    *end = false;
    TRY(take(copier, 2, &whole));
    if (!whole) { /* the marker may be missing, as in PostgreSQL */
        *end = true;
        return ERR_OK;
    }
    int16_t count = (int16_t)load_be16(copier->line.data);
    if (count == -1) {
        *end = true;
        return check_end(copier);
    }
    if (count < 0 || (uint32_t)count != expected) {
        return diag_set(copier->diag, ERR_BAD_COPY_FORMAT, "row field count is %d, expected %u",
            count, expected);
    }
    for (uint32_t i = 0; i < expected; i++) {
        size_t at = copier->line.size;
        TRY(take(copier, 4, &whole));
        if (!whole) {
            return cut_off(copier);
        }
        int32_t size = (int32_t)load_be32(copier->line.data + at);
        if (size < -1 || size > FIELD_SIZE_MAX) {
            return diag_set(copier->diag, ERR_BAD_COPY_FORMAT, "invalid field size");
        }
        TRY(take(copier, size < 0 ? 0 : (size_t)size, &whole));
        if (!whole) {
            return cut_off(copier);
        }
        copier->fields[i] = (struct field){
            .text = (const char *)(uintptr_t)(at + 4), /* an offset until the end */
            .size = size < 0 ? 0 : (size_t)size,
            .null = size < 0,
        };
    }
    for (uint32_t i = 0; i < expected; i++) {
        copier->fields[i].text =
            (const char *)copier->line.data + (uintptr_t)copier->fields[i].text;
    }
    copier->field_count = expected;
    return ERR_OK;
}

/* ---- out ------------------------------------------------------------------------------------- */

void
copy__binary_begin_out(struct copier *copier)
{
    buffer_add(&copier->line, signature, SIGNATURE_SIZE);
    buffer_add_be32(&copier->line, 0); /* flags */
    buffer_add_be32(&copier->line, 0); /* no extension */
}

void
copy__binary_row_out(struct copier *copier, const struct plan *plan, const struct datum *values)
{
    struct buffer *to = &copier->line;
    buffer_add_be16(to, (uint16_t)plan->column_count);
    for (uint32_t i = 0; i < plan->column_count; i++) {
        if (values[i].null) {
            buffer_add_be32(to, UINT32_MAX);
            continue;
        }
        size_t at = to->size;
        buffer_add_be32(to, 0);
        type_send(&copier->session->env, plan->columns[i].type, values[i], to);
        store_be32(to->data + at, (uint32_t)(to->size - at - 4));
    }
}

void
copy__binary_end_out(struct copier *copier)
{
    buffer_add_be16(&copier->line, UINT16_MAX);
}
