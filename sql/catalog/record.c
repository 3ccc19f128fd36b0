/*
 * sql/catalog/record.c - catalog rows to bytes and back.
 *
 * Why not the row codec of sql/value: a relation is one nested record (columns, indexes and checks
 * included), so that reading the catalog is one scan and changing a table is one row.
 *
 * All numbers are big-endian; a string is be16 size and its bytes; an optional string is a byte
 * 0 or 1 and then the string (be32 size, as expressions may be long).
 *
 *     relation  version 5, kind, be32 oid, be32 schema, be32 owner, be64 tree, name,
 *               be16 columns: name, be32 type, be32 typmod, flags (1 not null, 2 dropped,
 *                             4 identity always, 8 by default, 16 generated), default, be32 domain
 *               be16 derived: name, text, be32 type, be32 typmod
 *               be16 indexes: be32 oid, name, be64 tree, flags (1 unique, 2 primary,
 *                             4 constraint, 8 nulls not distinct), be16 columns: be16 column,
 *                             flags (enum key_flags); be16 included columns: be16 column;
 *                             be16 partial
 *               be16 checks:  be32 oid, name, condition, flags (1 not valid)
 *               be16 foreign keys: be32 oid, name, be32 table, be32 index, flags (1 MATCH FULL,
 *                             2 deferrable, 4 initially deferred, 8 valid), on update, on delete,
 *                             be16 columns: be16 column, be16 referenced column,
 *                             be16 columns of ON DELETE SET: be16 column
 *               view text; of a view: check option (a byte)
 *               of a sequence: be32 type, be64 start, increment, minimum, maximum, cache,
 *                             generation, last, flags (1 cycles, 2 called, 4 identity),
 *                             be32 table and be16 column that own it
 *               version 1 lacks the derived values, and of indexes what follows the columns;
 *               versions 1 and 2 the check option, those to 3 the checks' flags, and those
 *               to 4 the domains
 *     role      version 2, name (as optional), be32 flags, password (optional), be32 connection
 *               limit, be64 until when it is valid; roles made with the database are `named`
 *     database  version 2, name (as optional), be32 owner, be32 flags (1 template, 2 nobody may
 *               connect), be32 connection limit; those made with the server are `named`
 *     schema    named; its flags are the OID of its database, 0 for the first one
 *     named     version, name (as optional), be32 owner, be32 flags (roles: 1 superuser, 2 login);
 *               comments too, their text being the name
 *     number    version, be64
 */
#include "base/assert.h"
#include "sql/catalog/catalog_internal.h"

enum {
    COLUMN_NOT_NULL = 1,
    COLUMN_DROPPED = 2,
    COLUMN_IDENTITY_ALWAYS = 4,
    COLUMN_IDENTITY_DEFAULT = 8,
    COLUMN_GENERATED = 16,
    SEQUENCE_CYCLES = 1,
    SEQUENCE_CALLED = 2,
    SEQUENCE_IDENTITY = 4,
    CHECK_NOT_VALID = 1,
    INDEX_UNIQUE = 1,
    INDEX_PRIMARY = 2,
    INDEX_CONSTRAINT = 4,
    INDEX_NULLS_NOT_DISTINCT = 8,
    FOREIGN_FULL = 1,
    FOREIGN_DEFERRABLE = 2,
    FOREIGN_DEFERRED = 4,
    FOREIGN_VALID = 8,
};

enum {
    ROLE_RECORD_VERSION = 2,
    DATABASE_RECORD_VERSION = 2,
    RELATION_RECORD_VERSION = 5,
};

static void
put_name(struct buffer *to, const char *name)
{
    size_t size = strlen(name);
    ASSERT(size <= UINT16_MAX);
    buffer_add_be16(to, (uint16_t)size);
    buffer_add(to, name, size);
}

static void
put_text(struct buffer *to, const char *text)
{
    buffer_add_u8(to, text != NULL);
    if (text != NULL) {
        size_t size = strlen(text);
        buffer_add_be32(to, (uint32_t)size);
        buffer_add(to, text, size);
    }
}

static void
put_foreign_key(struct buffer *to, const struct foreign_key *key)
{
    buffer_add_be32(to, key->oid);
    put_name(to, key->name);
    buffer_add_be32(to, key->referenced);
    buffer_add_be32(to, key->index);
    buffer_add_u8(
        to, (uint8_t)((key->full ? FOREIGN_FULL : 0) | (key->deferrable ? FOREIGN_DEFERRABLE : 0) |
                      (key->initially_deferred ? FOREIGN_DEFERRED : 0) |
                      (key->valid ? FOREIGN_VALID : 0)));
    buffer_add_u8(to, (uint8_t)key->on_update);
    buffer_add_u8(to, (uint8_t)key->on_delete);
    buffer_add_be16(to, key->column_count);
    for (uint16_t i = 0; i < key->column_count; i++) {
        buffer_add_be16(to, key->columns[i]);
        buffer_add_be16(to, key->referenced_columns[i]);
    }
    buffer_add_be16(to, key->set_count);
    for (uint16_t i = 0; i < key->set_count; i++) {
        buffer_add_be16(to, key->set_columns[i]);
    }
}

static void
put_sequence(struct buffer *to, const struct sequence *sequence)
{
    buffer_add_be32(to, sequence->type);
    buffer_add_be64(to, (uint64_t)sequence->start);
    buffer_add_be64(to, (uint64_t)sequence->increment);
    buffer_add_be64(to, (uint64_t)sequence->minimum);
    buffer_add_be64(to, (uint64_t)sequence->maximum);
    buffer_add_be64(to, (uint64_t)sequence->cache);
    buffer_add_be64(to, sequence->generation);
    buffer_add_be64(to, (uint64_t)sequence->last);
    buffer_add_u8(to, (uint8_t)((sequence->cycle ? SEQUENCE_CYCLES : 0) |
                                (sequence->called ? SEQUENCE_CALLED : 0) |
                                (sequence->identity ? SEQUENCE_IDENTITY : 0)));
    buffer_add_be32(to, sequence->owner_table);
    buffer_add_be16(to, sequence->owner_column);
}

static void
put_checks(struct buffer *to, const struct check *checks, uint16_t count)
{
    buffer_add_be16(to, count);
    for (uint16_t i = 0; i < count; i++) {
        buffer_add_be32(to, checks[i].oid);
        put_name(to, checks[i].name);
        put_text(to, checks[i].text);
        buffer_add_u8(to, checks[i].not_valid ? CHECK_NOT_VALID : 0);
    }
}

void
catalog__encode_relation(const struct relation *relation, struct buffer *to)
{
    buffer_add_u8(to, RELATION_RECORD_VERSION);
    buffer_add_u8(to, (uint8_t)relation->kind);
    buffer_add_be32(to, relation->oid);
    buffer_add_be32(to, relation->schema);
    buffer_add_be32(to, relation->owner);
    buffer_add_be64(to, relation->tree.v);
    put_name(to, relation->name);
    buffer_add_be16(to, relation->column_count);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        put_name(to, column->name);
        buffer_add_be32(to, column->type);
        buffer_add_be32(to, (uint32_t)column->typmod);
        buffer_add_u8(to, (uint8_t)((column->not_null ? COLUMN_NOT_NULL : 0) |
                                    (column->dropped ? COLUMN_DROPPED : 0) |
                                    (column->identity == 'a' ? COLUMN_IDENTITY_ALWAYS : 0) |
                                    (column->identity == 'd' ? COLUMN_IDENTITY_DEFAULT : 0) |
                                    (column->generated ? COLUMN_GENERATED : 0)));
        put_text(to, column->default_text);
        buffer_add_be32(to, column->domain);
    }
    buffer_add_be16(to, relation->derived_count);
    for (uint16_t i = 0; i < relation->derived_count; i++) {
        const struct derived *derived = &relation->derived[i];
        put_name(to, derived->name);
        put_text(to, derived->text);
        buffer_add_be32(to, derived->type);
        buffer_add_be32(to, (uint32_t)derived->typmod);
    }
    buffer_add_be16(to, relation->index_count);
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        buffer_add_be32(to, index->oid);
        put_name(to, index->name);
        buffer_add_be64(to, index->tree.v);
        buffer_add_u8(to,
            (uint8_t)((index->unique ? INDEX_UNIQUE : 0) | (index->primary ? INDEX_PRIMARY : 0) |
                      (index->constraint ? INDEX_CONSTRAINT : 0) |
                      (index->nulls_not_distinct ? INDEX_NULLS_NOT_DISTINCT : 0)));
        buffer_add_be16(to, index->column_count);
        for (uint16_t c = 0; c < index->column_count; c++) {
            buffer_add_be16(to, index->columns[c]);
            buffer_add_u8(to, index->flags[c]);
        }
        buffer_add_be16(to, index->included_count);
        for (uint16_t c = 0; c < index->included_count; c++) {
            buffer_add_be16(to, index->columns[index->column_count + c]);
        }
        buffer_add_be16(to, index->partial);
    }
    put_checks(to, relation->checks, relation->check_count);
    buffer_add_be16(to, relation->foreign_count);
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        put_foreign_key(to, &relation->foreign[i]);
    }
    put_text(to, relation->view_text);
    if (relation->kind == RELATION_VIEW) {
        buffer_add_u8(to, (uint8_t)relation->check_option);
    }
    if (relation_is_materialized(relation)) {
        buffer_add_u8(to, relation->populated);
    }
    if (relation->kind == RELATION_SEQUENCE) {
        put_sequence(to, relation->sequence);
    }
}

void
catalog__encode_named(const char *name, oid_t owner, uint32_t flags, struct buffer *to)
{
    buffer_add_u8(to, CATALOG_RECORD_VERSION);
    put_text(to, name);
    buffer_add_be32(to, owner);
    buffer_add_be32(to, flags);
}

void
catalog__encode_database(const struct database *database, struct buffer *to)
{
    buffer_add_u8(to, DATABASE_RECORD_VERSION);
    put_text(to, database->name);
    buffer_add_be32(to, database->owner);
    buffer_add_be32(to, (database->is_template ? CATALOG_DATABASE_TEMPLATE : 0U) |
                            (database->no_connections ? CATALOG_DATABASE_NO_CONNECTIONS : 0U));
    buffer_add_be32(to, (uint32_t)database->connection_limit);
}

void
catalog__encode_role(const struct role *role, struct buffer *to)
{
    uint32_t flags = (role->superuser ? CATALOG_ROLE_SUPERUSER : 0U) |
                     (role->login ? CATALOG_ROLE_LOGIN : 0U) |
                     (role->createdb ? CATALOG_ROLE_CREATEDB : 0U) |
                     (role->createrole ? CATALOG_ROLE_CREATEROLE : 0U) |
                     (role->inherit ? 0U : CATALOG_ROLE_NOINHERIT) |
                     (role->replication ? CATALOG_ROLE_REPLICATION : 0U) |
                     (role->bypassrls ? CATALOG_ROLE_BYPASSRLS : 0U);
    buffer_add_u8(to, ROLE_RECORD_VERSION);
    put_text(to, role->name);
    buffer_add_be32(to, flags);
    put_text(to, role->password);
    buffer_add_be32(to, (uint32_t)role->connection_limit);
    buffer_add_be64(to, (uint64_t)role->valid_until);
}

void
catalog__encode_type(const struct user_type *type, struct buffer *to)
{
    bool is_enum = type_is_enum(type->oid);
    buffer_add_u8(to, CATALOG_RECORD_VERSION);
    buffer_add_u8(to, is_enum ? 'e' : 'd');
    buffer_add_be32(to, type->oid);
    buffer_add_be32(to, type->schema);
    buffer_add_be32(to, type->owner);
    put_name(to, type->name);
    if (!is_enum) {
        buffer_add_be32(to, type->base);
        buffer_add_be32(to, (uint32_t)type->typmod);
        buffer_add_u8(to, type->not_null);
        put_text(to, type->default_text);
        put_checks(to, type->checks, type->check_count);
        return;
    }
    buffer_add_be32(to, type->label_count);
    for (uint32_t i = 0; i < type->label_count; i++) {
        buffer_add_be32(to, type->labels[i].oid);
        buffer_add_be64(to, (uint64_t)type->labels[i].position);
        put_name(to, type->labels[i].name);
    }
}

void
catalog__encode_number(uint64_t number, struct buffer *to)
{
    buffer_add_u8(to, CATALOG_RECORD_VERSION);
    buffer_add_be64(to, number);
}

/* ---- reading: past the end every number is 0 and `bad` is set
 * ------------------------------------
 */

struct reader {
    struct slice rest;
    struct arena *arena;
    bool bad;
};

static const uint8_t *
take(struct reader *reader, size_t size)
{
    static const uint8_t zeroes[8];
    if (reader->bad || reader->rest.size < size) {
        reader->bad = true;
        return size <= sizeof zeroes ? zeroes : NULL;
    }
    const uint8_t *at = reader->rest.data;
    reader->rest.data += size;
    reader->rest.size -= size;
    return at;
}

static uint8_t
get_u8(struct reader *reader)
{
    return *take(reader, 1);
}

static uint16_t
get_u16(struct reader *reader)
{
    return load_be16(take(reader, 2));
}

static uint32_t
get_u32(struct reader *reader)
{
    return load_be32(take(reader, 4));
}

static uint64_t
get_u64(struct reader *reader)
{
    return load_be64(take(reader, 8));
}

static const char *
get_bytes(struct reader *reader, size_t size)
{
    const uint8_t *bytes = take(reader, size);
    return reader->bad ? "" : arena_strndup(reader->arena, (const char *)bytes, size);
}

static const char *
get_name(struct reader *reader)
{
    uint16_t size = get_u16(reader);
    return get_bytes(reader, size);
}

static const char *
get_text(struct reader *reader)
{
    if (get_u8(reader) == 0) {
        return NULL;
    }
    uint32_t size = get_u32(reader);
    return get_bytes(reader, size);
}

static void
get_version(struct reader *reader)
{
    if (get_u8(reader) != CATALOG_RECORD_VERSION) {
        reader->bad = true;
    }
}

static enum err
finish(const struct reader *reader, const char *what, struct diag *diag)
{
    if (reader->bad || reader->rest.size != 0) {
        return diag_set(diag, ERR_CORRUPT, "catalog record of a %s is damaged", what);
    }
    return ERR_OK;
}

/* A count is believed only as far as the bytes left can hold so many elements of `size_min`. */
static uint16_t
get_count(struct reader *reader, size_t size_min)
{
    uint16_t count = get_u16(reader);
    if (count * size_min > reader->rest.size) {
        reader->bad = true;
        return 0;
    }
    return count;
}

static void
get_columns(struct reader *reader, struct relation *relation, uint8_t version)
{
    relation->column_count = get_count(reader, 12);
    struct column *columns = arena_array(reader->arena, relation->column_count, sizeof *columns);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        columns[i].name = get_name(reader);
        columns[i].type = get_u32(reader);
        columns[i].typmod = (int32_t)get_u32(reader);
        uint8_t flags = get_u8(reader);
        columns[i].not_null = (flags & COLUMN_NOT_NULL) != 0;
        columns[i].dropped = (flags & COLUMN_DROPPED) != 0;
        columns[i].identity = (flags & COLUMN_IDENTITY_ALWAYS) != 0    ? 'a'
                              : (flags & COLUMN_IDENTITY_DEFAULT) != 0 ? 'd'
                                                                       : 0;
        columns[i].generated = (flags & COLUMN_GENERATED) != 0;
        columns[i].default_text = get_text(reader);
        columns[i].domain = version > 4 ? get_u32(reader) : 0;
    }
    relation->columns = columns;
}

static void
get_derived(struct reader *reader, struct relation *relation)
{
    relation->derived_count = get_count(reader, 11);
    struct derived *derived = arena_array(reader->arena, relation->derived_count, sizeof *derived);
    for (uint16_t i = 0; i < relation->derived_count; i++) {
        derived[i].name = get_name(reader);
        derived[i].text = get_text(reader);
        derived[i].type = get_u32(reader);
        derived[i].typmod = (int32_t)get_u32(reader);
        reader->bad = reader->bad || derived[i].text == NULL;
    }
    relation->derived = derived;
}

static void
check_index_column(struct reader *reader, const struct relation *relation, uint16_t column)
{
    reader->bad =
        reader->bad || (column < INDEX_DERIVED ? column >= relation->column_count
                                               : column - INDEX_DERIVED >= relation->derived_count);
}

static void
get_included(struct reader *reader, const struct relation *relation, struct index *index)
{
    oid_t types[INDEX_COLUMNS_MAX];
    index->included_count = get_count(reader, 2);
    if (index->column_count + index->included_count > INDEX_COLUMNS_MAX) {
        reader->bad = true;
    }
    for (uint16_t i = 0; i < index->included_count && !reader->bad; i++) {
        uint16_t column = get_u16(reader);
        reader->bad = reader->bad || column >= relation->column_count;
        index->columns[index->column_count + i] = column;
        types[i] = reader->bad ? 0 : relation->columns[column].type;
    }
    if (index->included_count > 0 && !reader->bad) {
        index->included_layout = row_layout_new(reader->arena, types, index->included_count);
    }
    index->partial = get_u16(reader);
    reader->bad = reader->bad || index->partial > relation->derived_count;
}

static void
get_indexes(struct reader *reader, struct relation *relation, uint8_t version)
{
    relation->index_count = get_count(reader, 17);
    struct index *indexes = arena_array(reader->arena, relation->index_count, sizeof *indexes);
    for (uint16_t i = 0; i < relation->index_count; i++) {
        indexes[i].oid = get_u32(reader);
        indexes[i].name = get_name(reader);
        indexes[i].tree.v = get_u64(reader);
        uint8_t flags = get_u8(reader);
        indexes[i].unique = (flags & INDEX_UNIQUE) != 0;
        indexes[i].primary = (flags & INDEX_PRIMARY) != 0;
        indexes[i].constraint = (flags & INDEX_CONSTRAINT) != 0;
        indexes[i].nulls_not_distinct = (flags & INDEX_NULLS_NOT_DISTINCT) != 0;
        indexes[i].column_count = get_count(reader, 3);
        if (indexes[i].column_count > INDEX_COLUMNS_MAX) {
            reader->bad = true;
            return;
        }
        for (uint16_t c = 0; c < indexes[i].column_count; c++) {
            indexes[i].columns[c] = get_u16(reader);
            indexes[i].flags[c] = get_u8(reader);
            check_index_column(reader, relation, indexes[i].columns[c]);
        }
        if (version > CATALOG_RECORD_VERSION) {
            get_included(reader, relation, &indexes[i]);
        }
        if (indexes[i].primary) {
            relation->primary = &indexes[i];
        }
    }
    relation->indexes = indexes;
}

static void
get_checks(struct reader *reader, const struct check **to, uint16_t *count, uint8_t version)
{
    *count = get_count(reader, 7);
    struct check *checks = arena_array(reader->arena, *count, sizeof *checks);
    for (uint16_t i = 0; i < *count; i++) {
        checks[i].oid = get_u32(reader);
        checks[i].name = get_name(reader);
        checks[i].text = get_text(reader);
        checks[i].not_valid = version > 3 && (get_u8(reader) & CHECK_NOT_VALID) != 0;
        if (checks[i].text == NULL) {
            reader->bad = true;
        }
    }
    *to = checks;
}

static uint16_t
get_column(struct reader *reader, const struct relation *relation)
{
    uint16_t column = get_u16(reader);
    reader->bad = reader->bad || column >= relation->column_count;
    return column;
}

static void
get_foreign_key(struct reader *reader, const struct relation *relation, struct foreign_key *key)
{
    key->oid = get_u32(reader);
    key->name = get_name(reader);
    key->referenced = get_u32(reader);
    key->index = get_u32(reader);
    uint8_t flags = get_u8(reader);
    key->full = (flags & FOREIGN_FULL) != 0;
    key->deferrable = (flags & FOREIGN_DEFERRABLE) != 0;
    key->initially_deferred = (flags & FOREIGN_DEFERRED) != 0;
    key->valid = (flags & FOREIGN_VALID) != 0;
    key->on_update = (char)get_u8(reader);
    key->on_delete = (char)get_u8(reader);
    key->column_count = get_count(reader, 4);
    if (key->column_count > INDEX_COLUMNS_MAX) {
        key->column_count = 0;
        reader->bad = true;
    }
    for (uint16_t i = 0; i < key->column_count; i++) {
        key->columns[i] = get_column(reader, relation);
        key->referenced_columns[i] = get_u16(reader); /* checked when the tables are connected */
    }
    key->set_count = get_count(reader, 2);
    if (key->set_count > INDEX_COLUMNS_MAX) {
        key->set_count = 0;
        reader->bad = true;
    }
    for (uint16_t i = 0; i < key->set_count; i++) {
        key->set_columns[i] = get_column(reader, relation);
    }
}

static void
get_foreign_keys(struct reader *reader, struct relation *relation)
{
    relation->foreign_count = get_count(reader, 21);
    struct foreign_key *keys = arena_array(reader->arena, relation->foreign_count, sizeof *keys);
    for (uint16_t i = 0; i < relation->foreign_count && !reader->bad; i++) {
        get_foreign_key(reader, relation, &keys[i]);
    }
    relation->foreign = keys;
}

static const struct sequence *
get_sequence(struct reader *reader)
{
    struct sequence *sequence = arena_alloc(reader->arena, sizeof *sequence);
    sequence->type = get_u32(reader);
    sequence->start = (int64_t)get_u64(reader);
    sequence->increment = (int64_t)get_u64(reader);
    sequence->minimum = (int64_t)get_u64(reader);
    sequence->maximum = (int64_t)get_u64(reader);
    sequence->cache = (int64_t)get_u64(reader);
    sequence->generation = get_u64(reader);
    sequence->last = (int64_t)get_u64(reader);
    uint8_t flags = get_u8(reader);
    sequence->cycle = (flags & SEQUENCE_CYCLES) != 0;
    sequence->called = (flags & SEQUENCE_CALLED) != 0;
    sequence->identity = (flags & SEQUENCE_IDENTITY) != 0;
    sequence->owner_table = get_u32(reader);
    sequence->owner_column = get_u16(reader);
    return sequence;
}

enum err
catalog__decode_relation(
    struct arena *arena, struct slice record, struct relation *relation, struct diag *diag)
{
    struct reader reader = {.rest = record, .arena = arena};
    *relation = (struct relation){0};
    uint8_t version = get_u8(&reader);
    reader.bad =
        reader.bad || version < CATALOG_RECORD_VERSION || version > RELATION_RECORD_VERSION;
    relation->kind = (char)get_u8(&reader);
    relation->oid = get_u32(&reader);
    relation->schema = get_u32(&reader);
    relation->owner = get_u32(&reader);
    relation->tree.v = get_u64(&reader);
    relation->name = get_name(&reader);
    get_columns(&reader, relation, version);
    if (version > CATALOG_RECORD_VERSION) {
        get_derived(&reader, relation);
    }
    get_indexes(&reader, relation, version);
    get_checks(&reader, &relation->checks, &relation->check_count, version);
    get_foreign_keys(&reader, relation);
    relation->view_text = get_text(&reader);
    if (relation->kind == RELATION_VIEW && version > 2) {
        relation->check_option = (char)get_u8(&reader);
    }
    if (relation_is_materialized(relation)) {
        relation->populated = get_u8(&reader) != 0;
    }
    if (relation->kind == RELATION_SEQUENCE) {
        relation->sequence = get_sequence(&reader);
    }
    return finish(&reader, "relation", diag);
}

void
catalog_relation_pack(const struct relation *relation, struct buffer *to)
{
    catalog__encode_relation(relation, to);
}

void
catalog__make_layout(struct arena *arena, struct relation *relation)
{
    oid_t *types = arena_array(arena, (size_t)relation->column_count + 1, sizeof *types);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        types[i] = relation->columns[i].type;
        if (types[i] >= TYPE_USER_FIRST) {
            type_note_user(types[i]); /* a dropped column's may be gone */
        }
    }
    if (relation->kind == RELATION_TABLE) {
        relation->layout = row_layout_new(arena, types, relation->column_count);
    }
}

enum err
catalog_relation_unpack(
    struct arena *arena, struct slice record, struct relation *relation, struct diag *diag)
{
    TRY(catalog__decode_relation(arena, record, relation, diag));
    catalog__make_layout(arena, relation);
    return ERR_OK;
}

enum err
catalog__decode_named(struct arena *arena, struct slice record, const char **name, oid_t *owner,
    uint32_t *flags, struct diag *diag)
{
    struct reader reader = {.rest = record, .arena = arena};
    get_version(&reader);
    *name = get_text(&reader);
    *owner = get_u32(&reader);
    *flags = get_u32(&reader);
    reader.bad = reader.bad || *name == NULL;
    return finish(&reader, "schema or role", diag);
}

enum err
catalog__decode_database(
    struct arena *arena, struct slice record, struct database *database, struct diag *diag)
{
    struct reader reader = {.rest = record, .arena = arena};
    uint8_t version = get_u8(&reader);
    reader.bad =
        reader.bad || (version != CATALOG_RECORD_VERSION && version != DATABASE_RECORD_VERSION);
    database->name = get_text(&reader);
    database->owner = get_u32(&reader);
    uint32_t flags = get_u32(&reader);
    database->is_template = (flags & CATALOG_DATABASE_TEMPLATE) != 0;
    database->no_connections = (flags & CATALOG_DATABASE_NO_CONNECTIONS) != 0;
    database->connection_limit =
        version == DATABASE_RECORD_VERSION ? (int32_t)get_u32(&reader) : -1;
    reader.bad = reader.bad || database->name == NULL;
    return finish(&reader, "database", diag);
}

enum err
catalog__decode_role(struct arena *arena, struct slice record, struct role *role, struct diag *diag)
{
    struct reader reader = {.rest = record, .arena = arena};
    uint8_t version = get_u8(&reader);
    reader.bad =
        reader.bad || (version != CATALOG_RECORD_VERSION && version != ROLE_RECORD_VERSION);
    role->name = get_text(&reader);
    if (version == CATALOG_RECORD_VERSION) {
        (void)get_u32(&reader);
    }
    uint32_t flags = get_u32(&reader);
    role->superuser = (flags & CATALOG_ROLE_SUPERUSER) != 0;
    role->login = (flags & CATALOG_ROLE_LOGIN) != 0;
    role->createdb = (flags & CATALOG_ROLE_CREATEDB) != 0;
    role->createrole = (flags & CATALOG_ROLE_CREATEROLE) != 0;
    role->inherit = (flags & CATALOG_ROLE_NOINHERIT) == 0;
    role->replication = (flags & CATALOG_ROLE_REPLICATION) != 0;
    role->bypassrls = (flags & CATALOG_ROLE_BYPASSRLS) != 0;
    role->password = NULL;
    role->connection_limit = -1;
    role->valid_until = INT64_MAX;
    if (version == ROLE_RECORD_VERSION) {
        role->password = get_text(&reader);
        role->connection_limit = (int32_t)get_u32(&reader);
        role->valid_until = (int64_t)get_u64(&reader);
    }
    reader.bad = reader.bad || role->name == NULL;
    return finish(&reader, "role", diag);
}

enum err
catalog__decode_type(
    struct arena *arena, struct slice record, struct user_type *type, struct diag *diag)
{
    struct reader reader = {.rest = record, .arena = arena};
    *type = (struct user_type){.typmod = -1};
    get_version(&reader);
    char kind = (char)get_u8(&reader);
    type->oid = get_u32(&reader);
    type->array_oid = type->oid + 1;
    type->schema = get_u32(&reader);
    type->owner = get_u32(&reader);
    type->name = get_name(&reader);
    reader.bad = reader.bad || (kind != 'e' && kind != 'd') ||
                 type_is_enum(type->oid) != (kind == 'e') ||
                 (kind == 'd' && !type_has_domain(type->oid));
    if (kind == 'd') {
        type->base = get_u32(&reader);
        type->typmod = (int32_t)get_u32(&reader);
        type->not_null = get_u8(&reader) != 0;
        type->default_text = get_text(&reader);
        get_checks(&reader, &type->checks, &type->check_count, RELATION_RECORD_VERSION);
        return finish(&reader, "type", diag);
    }
    uint32_t count = get_u32(&reader);
    reader.bad = reader.bad || count > reader.rest.size / 14;
    type->label_count = reader.bad ? 0 : count;
    struct type_label *labels = arena_array(arena, type->label_count, sizeof *labels);
    for (uint32_t i = 0; i < type->label_count; i++) {
        labels[i].oid = get_u32(&reader);
        labels[i].position = (int64_t)get_u64(&reader);
        labels[i].name = get_name(&reader);
        reader.bad = reader.bad || (i > 0 && labels[i - 1].position >= labels[i].position);
    }
    type->labels = labels;
    return finish(&reader, "type", diag);
}

enum err
catalog__decode_number(struct slice record, uint64_t *number, struct diag *diag)
{
    struct reader reader = {.rest = record};
    get_version(&reader);
    *number = get_u64(&reader);
    return finish(&reader, "number", diag);
}
