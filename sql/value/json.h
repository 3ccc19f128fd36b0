/* sql/value/json.h - json and jsonb, for the files of sql/value. The stored form is in json.c. */
#ifndef SQL_VALUE_JSON_H
#define SQL_VALUE_JSON_H

#include "sql/value/value_internal.h"

enum json_kind { /* in jsonb's order, but for the empty array */
    JSON_NULL,
    JSON_STRING,
    JSON_NUMBER,
    JSON_FALSE,
    JSON_TRUE,
    JSON_ARRAY,
    JSON_OBJECT,
};

enum {
    JSON_DEPTH_MAX = 1000,
    JSON_ITEMS_MAX = 1 << 28,
};

/* A value, read from text or from jsonb, or being made. raw is the text it was read from, or of an
 * encoded one its node: then nothing else but kind is set until json__expand. */
struct json {
    enum json_kind kind;
    bool encoded;
    uint32_t count; /* of items */
    struct slice raw;
    union {
        struct slice text;       /* a string's characters; a number's numeric, if made for jsonb */
        struct json_item *items; /* of an array or object */
    };
};

struct json_item {
    struct slice name; /* in an object */
    struct json value;
};

/* ---- reading text ---- */
enum json_parse {
    JSON_CHECK = 0,   /* only whether it is JSON: *value is not filled */
    JSON_STRINGS = 1, /* strings with their escapes resolved */
    JSON_NUMBERS = 2, /* numbers as numerics */
};
/* 22P02 in PostgreSQL's words, 22P05, 54001. Members of an object as written, duplicates too. */
enum err json__parse(struct eval *eval, struct slice text, int flags, struct json *value);
/* A jsonb's value of it: members sorted, the last of equal names. */
enum err jsonb__encode(struct eval *eval, const struct json *value, struct datum *result);

/* ---- reading jsonb ---- */

/* One node. Bytes that no jsonb__encode made read as something, without harm. */
struct jsonb_reader {
    enum json_kind kind;
    uint32_t count;
    unsigned height;     /* of a container; its items are less high */
    struct slice scalar; /* of a string or number */
    const uint8_t *name_ends, *ends;
    struct slice names, values;
};
void jsonb__open(struct slice node, struct jsonb_reader *reader);
struct slice jsonb__name(const struct jsonb_reader *reader, uint32_t i);
struct slice jsonb__item(const struct jsonb_reader *reader, uint32_t i);
/* Of an object. */
bool jsonb__find(const struct jsonb_reader *reader, struct slice name, struct slice *node);
/* Is all of it sound? */
bool jsonb__check(struct slice node);

static inline struct json
jsonb__value(struct slice node)
{
    return (struct json){
        .kind =
            node.size == 0 || node.data[0] > JSON_OBJECT ? JSON_NULL : (enum json_kind)node.data[0],
        .encoded = true,
        .raw = node,
    };
}
/* One level: its items or text are set then, the items' values are encoded still. */
void json__expand(struct arena *arena, struct json *value);

/* Of a value of json or jsonb. */
enum err json__load(struct eval *eval, oid_t type, struct datum datum, struct json *value);
/* The member of that name (json: the last one). */
bool json__field(struct eval *eval, struct json *value, struct slice name, struct json *part);
/* ->> and its like: a string's characters, null for null, else how it prints. */
struct datum json__as_text(struct eval *eval, struct json *value);

/* ---- writing ---- */
void json__quote(struct slice text, struct buffer *to);
void jsonb__output(struct datum value, struct buffer *to);
/* indent < 0: in one line. */
void jsonb__print(struct slice node, int indent, struct buffer *to);

/* ---- the type ---- */
enum err json__input(struct eval *eval, struct slice text, struct datum *value);
enum err jsonb__input(struct eval *eval, struct slice text, struct datum *value);
int jsonb__compare(struct datum a, struct datum b);
uint64_t jsonb__hash(struct datum value, uint64_t seed);
void jsonb__key(struct buffer *to, struct datum value);
enum err jsonb__from_key(
    struct arena *arena, struct slice *key, struct datum *value, struct diag *diag);

/* A value of any type as JSON text, as to_json has it. name: as a member's name. */
enum err json__of_datum(struct eval *eval, oid_t type, struct datum value, struct buffer *to);
/* The same as a value; its memory is the arena's. */
enum err json__make(
    struct eval *eval, struct arena *arena, oid_t type, struct datum value, struct json *result);

#endif /* SQL_VALUE_JSON_H */
