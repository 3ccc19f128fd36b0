/*
 * txn/redo.c - row changes as bytes of the log.
 *
 *     op 1, tree varint, key size varint, key, then
 *     PUT     value size varint, value
 *     DELTA   bytes kept at the front varint, at the back varint, middle size varint, middle
 *     DELETE  nothing
 *     BUILD   (the key is empty) definition size varint, definition
 *
 * Varints are 7 bits a byte, lowest first. Recovery starts from exactly S, so the old value that a
 * delta is against is certainly there.
 */
#include <lz4.h>

#include "txn/txn_internal.h"

enum {
    VARINT_MAX = 10,
    PACK_SIZE_MIN = 4096,
    PACK_HEAD = 4,
    PACK_ACCELERATION = 4, /* the log shall not wait for the last per cent */
};

static uint8_t *
put_varint(uint8_t *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static uint8_t *
put_bytes(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size > 0) {
        memcpy(to, from, size);
    }
    return to + size;
}

static uint8_t *
begin(struct txn *txn, enum redo_op op, tree_id_t tree, struct slice key, size_t more)
{
    uint8_t *to = buffer_reserve(&txn->redo, 1 + 5 * VARINT_MAX + key.size + more);
    *to++ = (uint8_t)op;
    to = put_varint(to, tree.v);
    to = put_varint(to, key.size);
    return put_bytes(to, key.data, key.size);
}

static void
finish(struct txn *txn, const uint8_t *end)
{
    txn->redo.size = (size_t)(end - txn->redo.data);
    ASSERT(txn->redo.size <= txn->redo.capacity);
}

void
redo__put(struct txn *txn, tree_id_t tree, struct slice key, struct slice value)
{
    uint8_t *to = begin(txn, REDO_PUT, tree, key, value.size);
    to = put_varint(to, value.size);
    finish(txn, put_bytes(to, value.data, value.size));
}

void
redo__delete(struct txn *txn, tree_id_t tree, struct slice key)
{
    finish(txn, begin(txn, REDO_DELETE, tree, key, 0));
}

void
redo__build(struct txn *txn, tree_id_t tree, struct slice definition)
{
    uint8_t *to = begin(txn, REDO_BUILD, tree, (struct slice){0}, definition.size);
    to = put_varint(to, definition.size);
    finish(txn, put_bytes(to, definition.data, definition.size));
}

static size_t
common_prefix(const uint8_t *a, const uint8_t *b, size_t size)
{
    size_t at = 0;
    while (at + 8 <= size) {
        uint64_t differ = load_le64(a + at) ^ load_le64(b + at);
        if (differ != 0) {
            return at + (size_t)__builtin_ctzll(differ) / 8;
        }
        at += 8;
    }
    while (at < size && a[at] == b[at]) {
        at++;
    }
    return at;
}

static size_t
common_suffix(const uint8_t *a_end, const uint8_t *b_end, size_t size)
{
    size_t at = 0;
    while (at + 8 <= size) {
        uint64_t differ = load_le64(a_end - at - 8) ^ load_le64(b_end - at - 8);
        if (differ != 0) {
            return at + (size_t)__builtin_clzll(differ) / 8;
        }
        at += 8;
    }
    while (at < size && a_end[-1 - (ptrdiff_t)at] == b_end[-1 - (ptrdiff_t)at]) {
        at++;
    }
    return at;
}

void
redo__update(struct txn *txn, const struct undo *undo, struct slice value)
{
    struct slice key = undo_key(undo);
    struct slice old = undo_value(undo);
    tree_id_t tree = {undo->tree};
    if ((undo->prev_flags & ROW_OVERFLOW) != 0 || key.size + value.size > BTREE_VALUE_INLINE_MAX) {
        redo__put(txn, tree, key, value); /* one of the two lies elsewhere */
        return;
    }
    size_t shorter = old.size < value.size ? old.size : value.size;
    size_t prefix = common_prefix(old.data, value.data, shorter);
    size_t suffix = common_suffix(old.data + old.size, value.data + value.size, shorter - prefix);
    size_t middle = value.size - prefix - suffix;
    uint8_t *to = begin(txn, REDO_DELTA, tree, key, middle);
    to = put_varint(to, prefix);
    to = put_varint(to, suffix);
    to = put_varint(to, middle);
    finish(txn, put_bytes(to, value.data + prefix, middle));
}

/* ---- reading -----------------------------------------------------------------------------------
 */

/* What reading met: TAKEN, too few bytes yet, or nonsense. */
enum taken {
    TAKEN,
    TAKEN_SHORT,
    TAKEN_BAD,
};

static enum taken
take_varint(struct slice *bytes, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < VARINT_MAX; i++) {
        if (i >= bytes->size) {
            return TAKEN_SHORT;
        }
        *value |= (uint64_t)(bytes->data[i] & 0x7f) << (7 * i);
        if ((bytes->data[i] & 0x80) == 0) {
            bytes->data += i + 1;
            bytes->size -= i + 1;
            return TAKEN;
        }
    }
    return TAKEN_BAD;
}

static enum taken
take_sized(struct slice *bytes, struct slice *run, uint64_t size_max)
{
    uint64_t size = 0;
    enum taken taken = take_varint(bytes, &size);
    if (taken != TAKEN) {
        return taken;
    }
    if (size > size_max) {
        return TAKEN_BAD;
    }
    if (size > bytes->size) {
        return TAKEN_SHORT;
    }
    *run = slice_of(bytes->data, size);
    bytes->data += size;
    bytes->size -= size;
    return TAKEN;
}

static enum taken
take_change(struct slice *bytes, struct redo_change *change)
{
    if (bytes->size == 0) {
        return TAKEN_SHORT;
    }
    uint8_t op = bytes->data[0];
    *bytes = slice_of(bytes->data + 1, bytes->size - 1);
    if (op < REDO_PUT || op > REDO_BUILD) {
        return TAKEN_BAD;
    }
    *change = (struct redo_change){.op = (enum redo_op)op};
    enum taken taken = take_varint(bytes, &change->tree.v);
    if (taken == TAKEN) {
        taken = take_sized(bytes, &change->key, BTREE_KEY_SIZE_MAX);
    }
    if (taken == TAKEN && op == REDO_DELTA) {
        taken = take_varint(bytes, &change->prefix);
        taken = taken == TAKEN ? take_varint(bytes, &change->suffix) : taken;
        bool large = change->prefix > BTREE_PAGE_SIZE || change->suffix > BTREE_PAGE_SIZE;
        taken = taken == TAKEN && large ? TAKEN_BAD : taken;
    }
    if (taken == TAKEN && op != REDO_DELETE) {
        taken = take_sized(bytes, &change->value, BTREE_VALUE_SIZE_MAX);
    }
    return taken;
}

bool
redo__next(struct slice *bytes, struct redo_change *change, bool *bad)
{
    struct slice rest = *bytes;
    enum taken taken = take_change(&rest, change);
    *bad = taken == TAKEN_BAD;
    if (taken == TAKEN) {
        *bytes = rest;
    }
    return taken == TAKEN;
}

/* ---- packing -----------------------------------------------------------------------------------
 */

bool
redo__pack(struct slice redo, struct buffer *packed)
{
    if (redo.size < PACK_SIZE_MIN || redo.size > WAL_RECORD_SIZE_MAX) {
        return false;
    }
    int bound = LZ4_compressBound((int)redo.size);
    void *state = mem_alloc((size_t)LZ4_sizeofState()); /* 16 KiB: too much for a task's stack */
    packed->size = 0;
    uint8_t *to = buffer_extend(packed, PACK_HEAD + (size_t)bound);
    int size = LZ4_compress_fast_extState(state, (const char *)redo.data, (char *)to + PACK_HEAD,
        (int)redo.size, bound, PACK_ACCELERATION);
    mem_free(state);
    store_le32(to, (uint32_t)redo.size);
    packed->size = PACK_HEAD + (size_t)size;
    return size > 0 && packed->size < redo.size - redo.size / 8;
}

uint32_t
redo__unpacked_size(struct slice packed)
{
    return packed.size < PACK_HEAD ? 0 : load_le32(packed.data);
}

enum err
redo__unpack(struct slice packed, struct buffer *redo, struct diag *diag)
{
    uint32_t size = redo__unpacked_size(packed);
    if (size == 0 || size > WAL_RECORD_SIZE_MAX || packed.size > WAL_RECORD_SIZE_MAX) {
        return diag_set(diag, ERR_CORRUPT, "a packed change in the log has an impossible size");
    }
    redo->size = 0;
    uint8_t *to = buffer_extend(redo, size);
    if (LZ4_decompress_safe((const char *)packed.data + PACK_HEAD, (char *)to,
            (int)(packed.size - PACK_HEAD), (int)size) != (int)size) {
        return diag_set(diag, ERR_CORRUPT, "a packed change in the log cannot be unpacked");
    }
    return ERR_OK;
}
