/*
 * sql/catalog/sharding.c - see sharding.h.
 *
 *     record  version, kind, be16 column, group, be32 buckets,
 *             be32 entries: be32 size and bytes of the key, be32 bucket
 *             be32 places: be32 bucket, node
 *             (strings: be32 size and bytes)
 */
#include "sql/catalog/sharding.h"

#include "parser/parser.h"
#include "sql/catalog/buckets.h"
#include "sql/catalog/catalog_internal.h"

/* ---- bytes ----------------------------------------------------------------------------------- */

static void
put_bytes(struct buffer *to, const void *bytes, size_t size)
{
    buffer_add_be32(to, (uint32_t)size);
    buffer_add(to, bytes, size);
}

static void
encode(const struct sharding *sharding, struct buffer *to)
{
    buffer_add_u8(to, CATALOG_RECORD_VERSION);
    buffer_add_u8(to, (uint8_t)sharding->scheme.kind);
    buffer_add_be16(to, sharding->column);
    put_bytes(to, sharding->group, strlen(sharding->group));
    buffer_add_be32(to, sharding->scheme.bucket_count);
    buffer_add_be32(to, (uint32_t)sharding->scheme.entry_count);
    for (size_t i = 0; i < sharding->scheme.entry_count; i++) {
        const struct shard_entry *entry = &sharding->scheme.entries[i];
        put_bytes(to, entry->key.data, entry->key.size);
        buffer_add_be32(to, entry->bucket);
    }
    size_t count_at = to->size;
    uint32_t places = 0;
    buffer_add_be32(to, 0);
    for (uint32_t i = 0; sharding->places != NULL && i < sharding->scheme.bucket_count; i++) {
        if (sharding->places[i] != NULL) {
            places++;
            buffer_add_be32(to, i);
            put_bytes(to, sharding->places[i], strlen(sharding->places[i]));
        }
    }
    store_be32(to->data + count_at, places);
}

struct reader {
    struct slice rest;
    bool bad;
};

static struct slice
take(struct reader *reader, size_t size)
{
    static const uint8_t zeroes[8];
    if (reader->bad || reader->rest.size < size) {
        reader->bad = true;
        return slice_of(zeroes, size < sizeof zeroes ? size : 0);
    }
    struct slice taken = slice_of(reader->rest.data, size);
    reader->rest.data += size;
    reader->rest.size -= size;
    return taken;
}

static uint32_t
get_u32(struct reader *reader)
{
    return load_be32(take(reader, 4).data);
}

static struct slice
get_bytes(struct reader *reader)
{
    return take(reader, get_u32(reader));
}

static const char *
get_string(struct reader *reader, struct arena *arena)
{
    struct slice bytes = get_bytes(reader);
    return arena_strndup(arena, (const char *)bytes.data, bytes.size);
}

static void
get_entries(struct reader *reader, struct arena *arena, struct shard_scheme *scheme)
{
    scheme->entry_count = get_u32(reader);
    if (scheme->entry_count > reader->rest.size / 8) {
        reader->bad = true;
        scheme->entry_count = 0;
    }
    struct shard_entry *entries = arena_array(arena, scheme->entry_count, sizeof *entries);
    for (size_t i = 0; i < scheme->entry_count; i++) {
        struct slice key = get_bytes(reader);
        entries[i].key = slice_of(arena_copy(arena, key.data, key.size), key.size);
        entries[i].bucket = get_u32(reader);
        reader->bad = reader->bad || entries[i].bucket >= scheme->bucket_count;
    }
    scheme->entries = entries;
}

enum err
catalog__decode_sharding(struct arena *arena, struct slice record, uint16_t column_count,
    struct sharding **sharding_out, struct diag *diag)
{
    struct reader reader = {.rest = record};
    struct sharding *sharding = arena_alloc(arena, sizeof *sharding);
    uint8_t version = *take(&reader, 1).data;
    uint8_t kind = *take(&reader, 1).data;
    sharding->scheme.kind = kind == SHARD_HASH    ? SHARD_HASH
                            : kind == SHARD_RANGE ? SHARD_RANGE
                            : kind == SHARD_LIST  ? SHARD_LIST
                                                  : SHARD_REPLICATED;
    sharding->column = load_be16(take(&reader, 2).data);
    sharding->group = get_string(&reader, arena);
    sharding->scheme.bucket_count = get_u32(&reader);
    bool sound = version == CATALOG_RECORD_VERSION && kind == (uint8_t)sharding->scheme.kind &&
                 sharding->column < column_count &&
                 sharding->scheme.bucket_count <= SHARD_BUCKETS_MAX &&
                 (kind == SHARD_REPLICATED || sharding->scheme.bucket_count > 0);
    get_entries(&reader, arena, &sharding->scheme);
    uint32_t places = get_u32(&reader);
    const char **names = places == 0 || !sound
                             ? NULL
                             : arena_array(arena, sharding->scheme.bucket_count, sizeof *names);
    sharding->places = names;
    for (uint32_t i = 0; i < places && !reader.bad && sound; i++) {
        uint32_t bucket = get_u32(&reader);
        const char *name = get_string(&reader, arena);
        sound = bucket < sharding->scheme.bucket_count;
        if (sound) {
            names[bucket] = name;
        }
    }
    *sharding_out = sharding;
    return sound && !reader.bad && reader.rest.size == 0
               ? ERR_OK
               : diag_set(diag, ERR_CORRUPT, "catalog record of a sharded table is damaged");
}

enum err
catalog_sharding_put(struct task *task, struct catalog_store *store, struct txn *txn,
    oid_t relation, const struct sharding *sharding, struct diag *diag)
{
    struct buffer value = {0};
    if (sharding != NULL) {
        encode(sharding, &value);
    }
    enum err err = catalog__put_record(
        task, store, txn, CATALOG_TREE_SHARDING, relation, sharding == NULL ? NULL : &value, diag);
    buffer_destroy(&value);
    return err;
}

/* ---- rows ------------------------------------------------------------------------------------ */

enum err
sharding_bucket(const struct relation *relation, const struct datum *row, struct buffer *key,
    uint32_t *bucket, struct diag *diag)
{
    const struct sharding *sharding = relation->sharding;
    key->size = 0;
    key_encode(key, relation->columns[sharding->column].type, row[sharding->column], 0);
    if (shard_bucket(&sharding->scheme, slice_of(key->data, key->size), bucket)) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_CHECK, "no bucket of table \"%s\" has this value of column \"%s\"",
        relation->name, relation->columns[sharding->column].name);
    diag_hint(diag, "The table is sharded by a list of values, and this is none of them.");
    return ERR_CHECK;
}

bool
sharding_same(const struct relation *a, const struct relation *b)
{
    const struct shard_scheme *x = &a->sharding->scheme, *y = &b->sharding->scheme;
    bool same = x->kind == y->kind && x->bucket_count == y->bucket_count &&
                x->entry_count == y->entry_count &&
                a->columns[a->sharding->column].type == b->columns[b->sharding->column].type;
    for (size_t i = 0; same && i < x->entry_count; i++) {
        same = x->entries[i].bucket == y->entries[i].bucket &&
               slice_equal(x->entries[i].key, y->entries[i].key);
    }
    return same;
}

/* ---- words ----------------------------------------------------------------------------------- */

static void
add_value(struct buffer *to, struct arena *arena, const struct eval_env *env, oid_t type,
    struct slice key)
{
    struct datum value;
    struct diag unused;
    struct buffer text = {0};
    if (key_decode(arena, &key, type, 0, &value, &unused) == ERR_OK && !value.null) {
        struct eval_env iso = *env;
        iso.date_style = DATE_STYLE_ISO;
        iso.interval_style = INTERVAL_STYLE_POSTGRES;
        type_output(&iso, type, value, &text);
    }
    buffer_add_text(to, parser_quote_literal(arena, (const char *)text.data, text.size));
    buffer_destroy(&text);
}

static void
add_range(struct buffer *to, struct arena *arena, const struct eval_env *env,
    const struct relation *relation)
{
    const struct shard_scheme *scheme = &relation->sharding->scheme;
    oid_t type = relation->columns[relation->sharding->column].type;
    for (size_t i = 1; i < scheme->entry_count; i++) {
        buffer_add_text(to, i == 1 ? " (" : ", ");
        add_value(to, arena, env, type, scheme->entries[i].key);
    }
    buffer_add_text(to, scheme->entry_count > 1 ? ")" : "");
}

static void
add_list(struct buffer *to, struct arena *arena, const struct eval_env *env,
    const struct relation *relation)
{
    const struct sharding *sharding = relation->sharding;
    oid_t type = relation->columns[sharding->column].type;
    for (uint32_t bucket = 0; bucket < sharding->scheme.bucket_count; bucket++) {
        buffer_add_text(to, bucket == 0 ? " (" : ", ");
        const char *before = "(";
        for (size_t i = 0; i < sharding->scheme.entry_count; i++) {
            if (sharding->scheme.entries[i].bucket == bucket) {
                buffer_add_text(to, before);
                add_value(to, arena, env, type, sharding->scheme.entries[i].key);
                before = ", ";
            }
        }
        buffer_add_text(to, ")");
        if (sharding->places != NULL && sharding->places[bucket] != NULL) {
            buffer_add_text(to, " ON ");
            buffer_add_text(to, parser_quote_ident(arena, sharding->places[bucket]));
        }
    }
    buffer_add_text(to, ")");
}

const char *
sharding_definition(
    struct arena *arena, const struct eval_env *env, const struct relation *relation)
{
    const struct sharding *sharding = relation->sharding;
    struct buffer text = {0};
    if (sharding->scheme.kind == SHARD_REPLICATED) {
        return "REPLICATED";
    }
    buffer_add_text(&text, "SHARD BY ");
    buffer_add_text(&text, sharding->scheme.kind == SHARD_HASH    ? "HASH ("
                           : sharding->scheme.kind == SHARD_RANGE ? "RANGE ("
                                                                  : "LIST (");
    buffer_add_text(&text, parser_quote_ident(arena, relation->columns[sharding->column].name));
    buffer_add_text(&text, ")");
    if (sharding->scheme.kind == SHARD_HASH) {
        buffer_printf(&text, " BUCKETS %u", sharding->scheme.bucket_count);
    } else if (sharding->scheme.kind == SHARD_RANGE) {
        add_range(&text, arena, env, relation);
    } else {
        add_list(&text, arena, env, relation);
    }
    const char *own = arena_printf(arena, "%s.%s", relation->schema_name, relation->name);
    if (strcmp(own, sharding->group) != 0) {
        buffer_printf(&text, " COLOCATE WITH %s", sharding->group);
    }
    const char *copy = arena_strndup(arena, (const char *)text.data, text.size);
    buffer_destroy(&text);
    return copy;
}
