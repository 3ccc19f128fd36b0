/*
 * sql/value/json.c - json and jsonb: text to values and back, the stored form of jsonb, its order.
 *
 * json is kept as the text it was. jsonb is a node:
 *
 *     OFFSET    SIZE  DESCRIPTION
 *          0       1  enum json_kind
 *   null, false, true: nothing more
 *   string:
 *          1     ...  its characters
 *   number:
 *          1     ...  a numeric (numeric.c)
 *   array:
 *          1       2  height: 1 if it holds no arrays and objects, else one more than the highest
 *          3       4  number of items n
 *          7     4*n  where each item's node ends, from the end of this list
 *                ...  the nodes
 *   object: as an array up to n, then
 *          7     4*n  where each name ends
 *      7+4*n     4*n  where each value's node ends
 *                ...  the names, then the nodes
 *
 * Names are unique and sorted by length, then bytes: a member is found by bisection. All numbers
 * are little-endian and unaligned, and a node does not know where it stands: a part of a value is
 * copied by its bytes.
 *
 * Values are never higher than JSON_DEPTH_MAX, which bounds every recursion here; in damaged bytes,
 * what claims to be as high as what it is in reads as null.
 *
 * The key of a value (jsonb__key): a byte that orders the kinds, then what orders values of one
 * kind; containers begin with their count, as PostgreSQL compares that first. An empty array stands
 * below everything, there as here.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "parser/scanner.h"
#include "sql/value/json.h"

enum {
    CONTAINER_HEAD = 7,
    NUMERIC_HEAD = 4,
};

/* ---- reading text ---------------------------------------------------------------------------- */

struct parse {
    struct eval *eval;
    struct slice text;
    int flags;
    size_t at;    /* behind the token */
    size_t start; /* of the token */
    size_t last;  /* the end of the token before */
    size_t line_start;
    uint32_t line;
    int depth;
    uint8_t token; /* the character for punctuation, '"', '0' a number, 't' 'f' 'n', 0 the end */
    struct slice string;
};

static bool
is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c >= 0x80;
}

static size_t
character_size(const struct parse *parse, size_t at)
{
    return at >= parse->text.size
               ? 0
               : utf8_offset(slice_of(parse->text.data + at, parse->text.size - at), 1);
}

/* Which part of which line: up to 50 bytes of it before `end`. */
static void
add_context(struct parse *parse, size_t end)
{
    size_t start = parse->line_start;
    while (start < end && end - start >= 50) {
        start += character_size(parse, start);
    }
    if (start - parse->line_start <= 3) {
        start = parse->line_start;
    }
    end = end < start ? start : end;
    bool more = parse->token != 0 && end < parse->text.size && parse->text.data[end] != '\n' &&
                parse->text.data[end] != '\r';
    if (parse->eval->diag != NULL) {
        diag_context(parse->eval->diag, "JSON data, line %u: %s%.*s%s", parse->line,
            start > parse->line_start ? "..." : "", (int)(end - start),
            (const char *)parse->text.data + start, more ? "..." : "");
    }
}

#define FAIL(parse, end, ...)                                                                     \
    ((void)diag_set((parse)->eval->diag, ERR_INVALID_TEXT, "invalid input syntax for type json"), \
        (parse)->eval->diag == NULL ? (void)0 : diag_detail((parse)->eval->diag, __VA_ARGS__),    \
        add_context((parse), (end)), ERR_INVALID_TEXT)

static enum err
bad_token(struct parse *parse, size_t end)
{
    parse->token = '?';
    return FAIL(parse, end, "Token \"%.*s\" is invalid.", (int)(end - parse->start),
        (const char *)parse->text.data + parse->start);
}

static enum err
bad_unicode(struct parse *parse, size_t end, enum err code, const char *detail)
{
    parse->token = '?';
    if (code == ERR_INVALID_TEXT) {
        return FAIL(parse, end, "%s", detail);
    }
    (void)diag_set(parse->eval->diag, code, "unsupported Unicode escape sequence");
    if (parse->eval->diag != NULL) {
        diag_detail(parse->eval->diag, "%s", detail);
    }
    add_context(parse, end);
    return code;
}

/* The four digits of \uXXXX; *at is behind the u. */
static enum err
hex4(struct parse *parse, size_t *at, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, (*at)++) {
        if (*at == parse->text.size) {
            return bad_token(parse, *at);
        }
        uint8_t c = parse->text.data[*at];
        uint32_t digit = c >= '0' && c <= '9'   ? c - (uint32_t)'0'
                         : c >= 'a' && c <= 'f' ? c - (uint32_t)'a' + 10U
                         : c >= 'A' && c <= 'F' ? c - (uint32_t)'A' + 10U
                                                : 16U;
        if (digit > 15) {
            return bad_unicode(parse, *at + character_size(parse, *at), ERR_INVALID_TEXT,
                "\"\\u\" must be followed by four hexadecimal digits.");
        }
        *code = *code * 16 + digit;
    }
    return ERR_OK;
}

static size_t
put_utf8(uint8_t *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (uint8_t)(0xC0 | code >> 6);
        to[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (uint8_t)(0xE0 | code >> 12);
        to[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        to[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    to[0] = (uint8_t)(0xF0 | code >> 18);
    to[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    to[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    to[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

/* \u, with the second half of a pair where the first is there. *at is behind the u. */
static enum err
unicode(struct parse *parse, size_t *at, uint8_t *to, size_t *size)
{
    uint32_t code;
    TRY(hex4(parse, at, &code));
    if ((parse->flags & JSON_STRINGS) == 0) {
        return ERR_OK;
    }
    if (code == 0) {
        return bad_unicode(
            parse, parse->last, ERR_UNTRANSLATABLE, "\\u0000 cannot be converted to text.");
    }
    if (code >= 0xDC00 && code <= 0xDFFF) {
        return bad_unicode(
            parse, *at, ERR_INVALID_TEXT, "Unicode low surrogate must follow a high surrogate.");
    }
    if (code >= 0xD800 && code <= 0xDBFF) {
        bool follows = *at + 1 < parse->text.size && parse->text.data[*at] == '\\' &&
                       parse->text.data[*at + 1] == 'u';
        uint32_t low = 0;
        if (follows) {
            *at += 2;
            TRY(hex4(parse, at, &low));
        }
        if (low >= 0xD800 && low <= 0xDBFF) {
            return bad_unicode(parse, *at, ERR_INVALID_TEXT,
                "Unicode high surrogate must not follow a high surrogate.");
        }
        if (low < 0xDC00 || low > 0xDFFF) {
            return bad_unicode(parse, *at, ERR_INVALID_TEXT,
                "Unicode low surrogate must follow a high surrogate.");
        }
        code = 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF));
    }
    *size += put_utf8(to + *size, code);
    return ERR_OK;
}

static enum err
escape(struct parse *parse, size_t *at, uint8_t *to, size_t *size)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (*at == parse->text.size) {
        return bad_token(parse, *at);
    }
    uint8_t c = parse->text.data[(*at)++];
    if (c == 'u') {
        return unicode(parse, at, to, size);
    }
    const char *letter = c == 0 ? NULL : strchr(letters, c);
    if (letter == NULL) {
        size_t end = *at - 1 + character_size(parse, *at - 1);
        parse->token = '?';
        return FAIL(parse, end, "Escape sequence \"\\%.*s\" is invalid.", (int)(end - *at + 1),
            (const char *)parse->text.data + *at - 1);
    }
    to[(*size)++] = (uint8_t)meanings[letter - letters];
    return ERR_OK;
}

/* at is behind the opening quote. */
static enum err
string(struct parse *parse)
{
    const uint8_t *text = parse->text.data;
    size_t at = parse->at;
    while (at < parse->text.size && text[at] != '"' && text[at] != '\\' && text[at] >= ' ') {
        at++;
    }
    if (at < parse->text.size && text[at] == '"') {
        parse->string = slice_of(text + parse->at, at - parse->at);
        parse->at = at + 1;
        return ERR_OK;
    }
    /* No escape is shorter than what it stands for. */
    bool keep = (parse->flags & JSON_STRINGS) != 0;
    uint8_t scratch[8];
    uint8_t *own =
        keep ? arena_alloc_raw(parse->eval->arena, parse->text.size - parse->at) : scratch;
    size_t size = at - parse->at;
    if (keep && size > 0) {
        memcpy(own, text + parse->at, size);
    }
    for (;;) {
        if (at == parse->text.size) {
            return bad_token(parse, at);
        }
        uint8_t c = text[at];
        if (c == '"') {
            break;
        }
        if (c < ' ') {
            parse->token = '?';
            return FAIL(parse, at, "Character with value 0x%02x must be escaped.", c);
        }
        at++;
        size = keep ? size : 0;
        if (c == '\\') {
            TRY(escape(parse, &at, own, &size));
        } else {
            own[size++] = c;
        }
    }
    parse->string = slice_of(own, keep ? size : 0);
    parse->at = at + 1;
    return ERR_OK;
}

static size_t
digits(const struct parse *parse, size_t at)
{
    while (at < parse->text.size && parse->text.data[at] >= '0' && parse->text.data[at] <= '9') {
        at++;
    }
    return at;
}

static enum err
number(struct parse *parse)
{
    const uint8_t *text = parse->text.data;
    size_t end = parse->text.size;
    size_t at = parse->start + (text[parse->start] == '-' ? 1 : 0);
    bool bad = at == end || text[at] < '0' || text[at] > '9';
    at = !bad && text[at] == '0' ? at + 1 : digits(parse, at);
    if (at < end && text[at] == '.') {
        size_t from = ++at;
        at = digits(parse, at);
        bad = bad || at == from;
    }
    if (at < end && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        at += at < end && (text[at] == '+' || text[at] == '-') ? 1 : 0;
        size_t from = at;
        at = digits(parse, at);
        bad = bad || at == from;
    }
    for (; at < end && is_word(text[at]); at++) {
        bad = true;
    }
    parse->at = at;
    parse->token = '0';
    return bad ? bad_token(parse, at) : ERR_OK;
}

static enum err
word(struct parse *parse)
{
    const uint8_t *text = parse->text.data;
    size_t at = parse->start;
    while (at < parse->text.size && is_word(text[at])) {
        at++;
    }
    at = at == parse->start ? at + 1 : at;
    size_t size = at - parse->start;
    const char *it = (const char *)text + parse->start;
    parse->at = at;
    parse->token = text[parse->start];
    bool known = (size == 4 && (memcmp(it, "true", 4) == 0 || memcmp(it, "null", 4) == 0)) ||
                 (size == 5 && memcmp(it, "false", 5) == 0);
    return known ? ERR_OK : bad_token(parse, at);
}

static enum err
next_token(struct parse *parse)
{
    const uint8_t *text = parse->text.data;
    parse->last = parse->at;
    while (parse->at < parse->text.size && is_blank(text[parse->at])) {
        if (text[parse->at++] == '\n') {
            parse->line++;
            parse->line_start = parse->at;
        }
    }
    parse->start = parse->at;
    if (parse->at == parse->text.size) {
        parse->token = 0;
        return ERR_OK;
    }
    uint8_t c = text[parse->at];
    switch (c) {
    case '{':
    case '}':
    case '[':
    case ']':
    case ',':
    case ':':
        parse->token = c;
        parse->at++;
        return ERR_OK;
    case '"':
        parse->token = c;
        parse->at++;
        return string(parse);
    default:
        return c == '-' || (c >= '0' && c <= '9') ? number(parse) : word(parse);
    }
}

static enum err
expected(struct parse *parse, const char *what)
{
    if (parse->token == 0) {
        return FAIL(parse, parse->last, "The input string ended unexpectedly.");
    }
    return FAIL(parse, parse->at, "Expected %s, but found \"%.*s\".", what,
        (int)(parse->at - parse->start), (const char *)parse->text.data + parse->start);
}

static struct json_item *
add_item(struct eval *eval, struct json *to, uint32_t *capacity)
{
    if (to->count == *capacity) {
        uint32_t wanted = *capacity == 0 ? 4 : *capacity * 2;
        struct json_item *bigger = arena_alloc_raw(eval->arena, wanted * sizeof *bigger);
        if (to->count > 0) {
            memcpy(bigger, to->items, to->count * sizeof *bigger);
        }
        to->items = bigger;
        *capacity = wanted;
    }
    return &to->items[to->count++];
}

static enum err value(struct parse *parse, const char *what, struct json *to);

/* The opening bracket has been read. A brace's items have names. */
static enum err
container(struct parse *parse, struct json *to)
{
    bool object = parse->token == '{';
    uint8_t close = object ? '}' : ']';
    uint32_t capacity = 0;
    bool keep = (parse->flags & JSON_STRINGS) != 0;
    if (++parse->depth > JSON_DEPTH_MAX) {
        return diag_set(parse->eval->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    to->kind = object ? JSON_OBJECT : JSON_ARRAY;
    TRY(next_token(parse));
    bool first = true;
    while (parse->token != close || !first) {
        struct json_item ignored;
        struct json_item *item = keep ? add_item(parse->eval, to, &capacity) : &ignored;
        *item = (struct json_item){0};
        if (object) {
            if (parse->token != '"') {
                return expected(parse, first ? "string or \"}\"" : "string");
            }
            item->name = parse->string;
            TRY(next_token(parse));
            if (parse->token != ':') {
                return expected(parse, "\":\"");
            }
            TRY(next_token(parse));
        }
        TRY(value(parse, first && !object ? "array element or \"]\"" : "JSON value", &item->value));
        first = false;
        if (parse->token == close) {
            break;
        }
        if (parse->token != ',') {
            return expected(parse, object ? "\",\" or \"}\"" : "\",\" or \"]\"");
        }
        TRY(next_token(parse));
    }
    parse->depth--;
    return ERR_OK;
}

/* The token has been read; leaves with the one behind the value. */
static enum err
value(struct parse *parse, const char *what, struct json *to)
{
    size_t start = parse->start;
    switch (parse->token) {
    case '{':
    case '[':
        TRY(container(parse, to));
        break;
    case '"':
        to->kind = JSON_STRING;
        to->text = parse->string;
        break;
    case '0':
        to->kind = JSON_NUMBER;
        if ((parse->flags & JSON_NUMBERS) != 0) {
            struct datum numeric;
            TRY(numeric__input(
                parse->eval, -1, slice_of(parse->text.data + start, parse->at - start), &numeric));
            to->text = datum_slice(numeric);
        }
        break;
    case 't':
        to->kind = JSON_TRUE;
        break;
    case 'f':
        to->kind = JSON_FALSE;
        break;
    case 'n':
        to->kind = JSON_NULL;
        break;
    default:
        return expected(parse, what);
    }
    to->raw = slice_of(parse->text.data + start, parse->at - start);
    return next_token(parse);
}

enum err
json__parse(struct eval *eval, struct slice text, int flags, struct json *to)
{
    struct parse parse = {.eval = eval, .text = text, .flags = flags, .line = 1};
    *to = (struct json){0};
    TRY(next_token(&parse));
    TRY(value(&parse, "JSON value", to));
    return parse.token == 0 ? ERR_OK : expected(&parse, "end of input");
}

/* ---- making jsonb ---------------------------------------------------------------------------- */

static int
name_order(struct slice a, struct slice b)
{
    return a.size != b.size ? (a.size > b.size) - (a.size < b.size)
           : a.size == 0    ? 0
                            : memcmp(a.data, b.data, a.size);
}

struct member {
    struct slice name;
    uint32_t index;
};

static int
member_order(const void *a, const void *b)
{
    const struct member *x = a;
    const struct member *y = b;
    int order = name_order(x->name, y->name);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* The items in order of their names, of equal names the last. */
static struct member *
sorted_members(struct arena *arena, const struct json *object, uint32_t *count)
{
    struct member *members = arena_alloc_raw(arena, (object->count + 1) * sizeof *members);
    bool sorted = true;
    for (uint32_t i = 0; i < object->count; i++) {
        members[i] = (struct member){object->items[i].name, i};
        sorted = sorted && (i == 0 || name_order(members[i - 1].name, members[i].name) < 0);
    }
    *count = object->count;
    if (sorted) {
        return members;
    }
    qsort(members, object->count, sizeof *members, member_order);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < object->count; i++) {
        kept -= kept > 0 && name_order(members[kept - 1].name, members[i].name) == 0 ? 1 : 0;
        members[kept++] = members[i];
    }
    *count = kept;
    return members;
}

static unsigned
node_height(struct slice node)
{
    return node.size >= 3 && node.data[0] >= JSON_ARRAY ? load_le16(node.data + 1) : 0;
}

static enum err encode(
    struct eval *eval, const struct json *value, int depth, struct buffer *to, unsigned *height);

static enum err
encode_container(
    struct eval *eval, const struct json *value, int depth, struct buffer *to, unsigned *height)
{
    bool object = value->kind == JSON_OBJECT;
    uint32_t count = value->count;
    struct member *members = object ? sorted_members(eval->arena, value, &count) : NULL;
    size_t head = to->size;
    size_t lists = head + CONTAINER_HEAD;
    if (depth == 0) {
        return diag_set(eval->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    (void)buffer_extend(to, CONTAINER_HEAD + (size_t)4 * count * (object ? 2 : 1));
    size_t names = to->size;
    for (uint32_t i = 0; object && i < count; i++) {
        buffer_add(to, members[i].name.data, members[i].name.size);
        store_le32(to->data + lists + (size_t)4 * i, (uint32_t)(to->size - names));
    }
    size_t nodes = to->size;
    size_t ends = lists + (object ? (size_t)4 * count : 0);
    unsigned highest = 0;
    for (uint32_t i = 0; i < count; i++) {
        unsigned its = 0;
        TRY(encode(eval, &value->items[object ? members[i].index : i].value, depth - 1, to, &its));
        highest = its > highest ? its : highest;
        if (to->size - nodes > JSON_ITEMS_MAX) {
            return diag_set(eval->diag, ERR_PROGRAM_LIMIT,
                "total size of jsonb %s elements exceeds the maximum of %u bytes",
                object ? "object" : "array", JSON_ITEMS_MAX - 1);
        }
        store_le32(to->data + ends + (size_t)4 * i, (uint32_t)(to->size - nodes));
    }
    *height = highest + 1;
    if (*height > JSON_DEPTH_MAX) {
        return diag_set(eval->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    to->data[head] = (uint8_t)value->kind;
    store_le16(to->data + head + 1, (uint16_t)*height);
    store_le32(to->data + head + 3, count);
    return ERR_OK;
}

static enum err
encode(struct eval *eval, const struct json *value, int depth, struct buffer *to, unsigned *height)
{
    if (value->encoded) {
        buffer_add(to, value->raw.data, value->raw.size);
        *height = node_height(value->raw);
        return ERR_OK;
    }
    switch (value->kind) {
    case JSON_ARRAY:
    case JSON_OBJECT:
        return encode_container(eval, value, depth, to, height);
    case JSON_STRING:
    case JSON_NUMBER:
        buffer_add_u8(to, (uint8_t)value->kind);
        buffer_add(to, value->text.data, value->text.size);
        return ERR_OK;
    default:
        buffer_add_u8(to, (uint8_t)value->kind);
        return ERR_OK;
    }
}

enum err
jsonb__encode(struct eval *eval, const struct json *value, struct datum *result)
{
    if (value->encoded) {
        *result = datum_bytes(value->raw.data, value->raw.size);
        return ERR_OK;
    }
    struct buffer to = {0};
    unsigned height = 0;
    enum err err = encode(eval, value, JSON_DEPTH_MAX, &to, &height);
    if (err == ERR_OK) {
        *result = value__bytes(eval, to.data, to.size);
    }
    buffer_destroy(&to);
    return err;
}

/* ---- reading jsonb --------------------------------------------------------------------------- */

void
jsonb__open(struct slice node, struct jsonb_reader *reader)
{
    *reader = (struct jsonb_reader){.kind = JSON_NULL};
    if (node.size == 0 || node.data[0] > JSON_OBJECT) {
        return;
    }
    enum json_kind kind = (enum json_kind)node.data[0];
    if (kind < JSON_ARRAY) {
        bool bad = kind == JSON_NUMBER && (node.size < 1 + NUMERIC_HEAD || node.data[1] != 0);
        reader->kind = bad ? JSON_NULL : kind;
        reader->scalar = slice_of(node.data + 1, node.size - 1);
        return;
    }
    if (node.size < CONTAINER_HEAD) {
        return;
    }
    uint32_t count = load_le32(node.data + 3);
    size_t lists = (size_t)4 * count * (kind == JSON_OBJECT ? 2 : 1);
    size_t left = node.size - CONTAINER_HEAD;
    reader->height = node_height(node);
    if (count > JSON_ITEMS_MAX || lists > left || reader->height > JSON_DEPTH_MAX) {
        return;
    }
    reader->ends = node.data + CONTAINER_HEAD;
    reader->values = slice_of(reader->ends + lists, left - lists);
    if (kind == JSON_OBJECT) {
        reader->name_ends = reader->ends;
        reader->ends += (size_t)4 * count;
        size_t names = count == 0 ? 0 : load_le32(reader->ends - 4);
        if (names > reader->values.size) {
            return;
        }
        reader->names = slice_of(reader->values.data, names);
        reader->values = slice_of(reader->values.data + names, reader->values.size - names);
    }
    reader->kind = kind;
    reader->count = count;
}

/* Between two entries of a list of ends; empty where they make no sense. */
static struct slice
between(struct slice bytes, const uint8_t *ends, uint32_t i)
{
    size_t start = i == 0 ? 0 : load_le32(ends + (size_t)4 * (i - 1));
    size_t end = load_le32(ends + (size_t)4 * i);
    return start > end || end > bytes.size ? slice_of(bytes.data, 0)
                                           : slice_of(bytes.data + start, end - start);
}

struct slice
jsonb__name(const struct jsonb_reader *reader, uint32_t i)
{
    return between(reader->names, reader->name_ends, i);
}

struct slice
jsonb__item(const struct jsonb_reader *reader, uint32_t i)
{
    struct slice node = between(reader->values, reader->ends, i);
    return node_height(node) < reader->height ? node : slice_of(node.data, 0);
}

bool
jsonb__find(const struct jsonb_reader *reader, struct slice name, struct slice *node)
{
    uint32_t low = 0;
    uint32_t high = reader->kind == JSON_OBJECT ? reader->count : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = name_order(jsonb__name(reader, middle), name);
        if (order == 0) {
            *node = jsonb__item(reader, middle);
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

static bool
check_numeric(struct slice bytes)
{
    /* Finite, and no zero byte at the top. */
    return bytes.size >= 4 && bytes.data[0] == 0 && bytes.data[1] <= 1 &&
           load_le16(bytes.data + 2) <= 16383 && bytes.size < 70000 &&
           (bytes.size == 4 ? bytes.data[1] == 0 : bytes.data[bytes.size - 1] != 0);
}

static bool
check_text(struct slice text)
{
    return text.size == 0 || (utf8_invalid_at((const char *)text.data, text.size) >= text.size &&
                                 memchr(text.data, 0, text.size) == NULL);
}

static bool
check_node(struct slice node, unsigned height)
{
    struct jsonb_reader reader;
    jsonb__open(node, &reader);
    if (node.size == 0 || reader.kind != (enum json_kind)node.data[0]) {
        return false;
    }
    switch (reader.kind) {
    case JSON_STRING:
        return check_text(reader.scalar);
    case JSON_NUMBER:
        return check_numeric(reader.scalar);
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    default:
        return node.size == 1;
    }
    unsigned own = node_height(node);
    unsigned highest = 0;
    if (own == 0 || own > height) {
        return false;
    }
    size_t end = 0, name_end = 0;
    for (uint32_t i = 0; i < reader.count; i++) {
        struct slice item = jsonb__item(&reader, i);
        end += item.size;
        if (item.size == 0 || load_le32(reader.ends + (size_t)4 * i) != end ||
            !check_node(item, own - 1)) {
            return false;
        }
        highest = node_height(item) > highest ? node_height(item) : highest;
        if (reader.kind == JSON_OBJECT) {
            struct slice name = jsonb__name(&reader, i);
            name_end += name.size;
            if (load_le32(reader.name_ends + (size_t)4 * i) != name_end || !check_text(name) ||
                (i > 0 && name_order(jsonb__name(&reader, i - 1), name) >= 0)) {
                return false;
            }
        }
    }
    return end == reader.values.size && own == highest + 1;
}

bool
jsonb__check(struct slice node)
{
    return check_node(node, JSON_DEPTH_MAX);
}

void
json__expand(struct arena *arena, struct json *value)
{
    if (!value->encoded) {
        return;
    }
    struct jsonb_reader reader;
    jsonb__open(value->raw, &reader);
    *value = (struct json){.kind = reader.kind, .count = reader.count, .raw = value->raw};
    if (reader.kind < JSON_ARRAY) {
        value->text = reader.scalar;
        return;
    }
    value->items = arena_alloc_raw(arena, (reader.count + (size_t)1) * sizeof *value->items);
    for (uint32_t i = 0; i < reader.count; i++) {
        value->items[i] = (struct json_item){.value = jsonb__value(jsonb__item(&reader, i))};
        if (reader.kind == JSON_OBJECT) {
            value->items[i].name = jsonb__name(&reader, i);
        }
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

void
json__quote(struct slice text, struct buffer *to)
{
    buffer_add_u8(to, '"');
    size_t plain = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c >= ' ' && c != '"' && c != '\\') {
            continue;
        }
        buffer_add(to, text.data + plain, i - plain);
        plain = i + 1;
        switch (c) {
        case '\b':
            buffer_add_text(to, "\\b");
            break;
        case '\f':
            buffer_add_text(to, "\\f");
            break;
        case '\n':
            buffer_add_text(to, "\\n");
            break;
        case '\r':
            buffer_add_text(to, "\\r");
            break;
        case '\t':
            buffer_add_text(to, "\\t");
            break;
        case '"':
        case '\\':
            buffer_add_u8(to, '\\');
            buffer_add_u8(to, c);
            break;
        default:
            buffer_printf(to, "\\u%04x", c);
        }
    }
    if (plain < text.size) {
        buffer_add(to, text.data + plain, text.size - plain);
    }
    buffer_add_u8(to, '"');
}

static void
new_line(int indent, struct buffer *to)
{
    buffer_add_u8(to, '\n');
    if (indent > 0) {
        memset(buffer_extend(to, (size_t)indent), ' ', (size_t)indent);
    }
}

void
jsonb__print(struct slice node, int indent, struct buffer *to)
{
    struct jsonb_reader reader;
    jsonb__open(node, &reader);
    switch (reader.kind) {
    case JSON_NULL:
        buffer_add_text(to, "null");
        return;
    case JSON_FALSE:
        buffer_add_text(to, "false");
        return;
    case JSON_TRUE:
        buffer_add_text(to, "true");
        return;
    case JSON_STRING:
        json__quote(reader.scalar, to);
        return;
    case JSON_NUMBER:
        numeric__output(datum_bytes(reader.scalar.data, reader.scalar.size), to);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    bool object = reader.kind == JSON_OBJECT;
    int inner = indent < 0 ? -1 : indent + 4;
    buffer_add_u8(to, object ? '{' : '[');
    for (uint32_t i = 0; i < reader.count; i++) {
        if (i > 0) {
            buffer_add_text(to, indent < 0 ? ", " : ",");
        }
        if (indent >= 0) {
            new_line(inner, to);
        }
        if (object) {
            json__quote(jsonb__name(&reader, i), to);
            buffer_add_text(to, ": ");
        }
        jsonb__print(jsonb__item(&reader, i), inner, to);
    }
    if (indent >= 0) {
        new_line(indent, to);
    }
    buffer_add_u8(to, object ? '}' : ']');
}

void
jsonb__output(struct datum value, struct buffer *to)
{
    jsonb__print(datum_slice(value), -1, to);
}

/* ---- input ----------------------------------------------------------------------------------- */

enum err
json__input(struct eval *eval, struct slice text, struct datum *result)
{
    struct json ignored;
    TRY(json__parse(eval, text, JSON_CHECK, &ignored));
    *result = value__bytes(eval, text.data, text.size);
    return ERR_OK;
}

enum err
jsonb__input(struct eval *eval, struct slice text, struct datum *result)
{
    struct json parsed;
    TRY(json__parse(eval, text, JSON_STRINGS | JSON_NUMBERS, &parsed));
    return jsonb__encode(eval, &parsed, result);
}

/* ---- order ----------------------------------------------------------------------------------- */

static int
sign_of(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int
compare_nodes(struct slice x, struct slice y)
{
    struct jsonb_reader a, b;
    jsonb__open(x, &a);
    jsonb__open(y, &b);
    if (a.kind != b.kind) {
        return a.kind > b.kind ? 1 : -1;
    }
    switch (a.kind) {
    case JSON_STRING:
        return slice_compare(a.scalar, b.scalar);
    case JSON_NUMBER:
        return numeric__compare(
            datum_bytes(a.scalar.data, a.scalar.size), datum_bytes(b.scalar.data, b.scalar.size));
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    default:
        return 0;
    }
    int order = sign_of(a.count, b.count);
    for (uint32_t i = 0; order == 0 && i < a.count; i++) {
        if (a.kind == JSON_OBJECT) {
            order = slice_compare(jsonb__name(&a, i), jsonb__name(&b, i));
        }
        order = order != 0 ? order : compare_nodes(jsonb__item(&a, i), jsonb__item(&b, i));
    }
    return order;
}

/* PostgreSQL keeps a scalar as an array of one, and so an empty array is less than it. */
static bool
is_empty_array(struct datum value)
{
    return value.size >= CONTAINER_HEAD && value.p[0] == JSON_ARRAY && load_le32(value.p + 3) == 0;
}

int
jsonb__compare(struct datum a, struct datum b)
{
    bool x = is_empty_array(a);
    bool y = is_empty_array(b);
    return x || y ? (y ? 1 : 0) - (x ? 1 : 0) : compare_nodes(datum_slice(a), datum_slice(b));
}

static uint64_t
hash_node(struct slice node, uint64_t seed)
{
    struct jsonb_reader reader;
    jsonb__open(node, &reader);
    seed = hash_u64(seed ^ (uint64_t)reader.kind ^ (uint64_t)reader.count << 8);
    if (reader.kind == JSON_STRING) {
        return hash64(reader.scalar.data, reader.scalar.size, seed);
    }
    if (reader.kind == JSON_NUMBER) {
        return numeric__hash(datum_bytes(reader.scalar.data, reader.scalar.size), seed);
    }
    for (uint32_t i = 0; i < reader.count; i++) {
        if (reader.kind == JSON_OBJECT) {
            struct slice name = jsonb__name(&reader, i);
            seed = hash64(name.data, name.size, seed);
        }
        seed = hash_node(jsonb__item(&reader, i), seed);
    }
    return seed;
}

uint64_t
jsonb__hash(struct datum value, uint64_t seed)
{
    return hash_node(datum_slice(value), seed);
}

/* ---- keys ------------------------------------------------------------------------------------ */

enum {
    KEY_EMPTY_ARRAY = 0, /* the whole value */
    KEY_KIND = 1,        /* + enum json_kind */
};

/* Bytes, then 0 0; a 0 among them as 0 FF. */
static void
key_text(struct buffer *to, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        buffer_add_u8(to, text.data[i]);
        if (text.data[i] == 0) {
            buffer_add_u8(to, 0xFF);
        }
    }
    buffer_add_u8(to, 0);
    buffer_add_u8(to, 0);
}

static void
key_node(struct buffer *to, struct slice node)
{
    struct jsonb_reader reader;
    jsonb__open(node, &reader);
    buffer_add_u8(to, (uint8_t)(KEY_KIND + reader.kind));
    if (reader.kind == JSON_STRING) {
        key_text(to, reader.scalar);
        return;
    }
    if (reader.kind == JSON_NUMBER) {
        numeric__key_encode(to, datum_bytes(reader.scalar.data, reader.scalar.size));
        return;
    }
    if (reader.kind < JSON_ARRAY) {
        return;
    }
    buffer_add_be32(to, reader.count);
    for (uint32_t i = 0; i < reader.count; i++) {
        if (reader.kind == JSON_OBJECT) {
            key_text(to, jsonb__name(&reader, i));
        }
        key_node(to, jsonb__item(&reader, i));
    }
}

void
jsonb__key(struct buffer *to, struct datum value)
{
    if (is_empty_array(value)) {
        buffer_add_u8(to, KEY_EMPTY_ARRAY);
    } else {
        key_node(to, datum_slice(value));
    }
}

static enum err
bad_key(struct diag *diag)
{
    return diag_set(diag, ERR_INDEX_CORRUPT, "index key is damaged");
}

static enum err
text_of_key(struct arena *arena, struct slice *key, struct slice *text, struct diag *diag)
{
    uint8_t *own = arena_alloc_raw(arena, key->size + 1);
    size_t size = 0, at = 0;
    for (;; at++) {
        if (at + 1 >= key->size) {
            return bad_key(diag);
        }
        if (key->data[at] == 0) {
            if (key->data[at + 1] == 0) {
                break;
            }
            at++;
            own[size++] = 0;
            continue;
        }
        own[size++] = key->data[at];
    }
    *key = slice_of(key->data + at + 2, key->size - at - 2);
    *text = slice_of(own, size);
    return ERR_OK;
}

static enum err
node_of_key(
    struct arena *arena, struct slice *key, int depth, struct json *value, struct diag *diag)
{
    *value = (struct json){0};
    if (key->size == 0 || depth == 0 || key->data[0] < KEY_KIND ||
        key->data[0] > KEY_KIND + JSON_OBJECT) {
        return bad_key(diag);
    }
    value->kind = (enum json_kind)(key->data[0] - KEY_KIND);
    *key = slice_of(key->data + 1, key->size - 1);
    if (value->kind == JSON_STRING) {
        return text_of_key(arena, key, &value->text, diag);
    }
    if (value->kind == JSON_NUMBER) {
        struct datum numeric;
        size_t size = value__key_size(*key, TYPE_NUMERIC, 0);
        if (size == SIZE_MAX) {
            return bad_key(diag);
        }
        struct slice payload = slice_of(key->data, size);
        *key = slice_of(key->data + size, key->size - size);
        TRY(numeric__key_decode(arena, &payload, &numeric, diag));
        value->text = datum_slice(numeric);
        return ERR_OK;
    }
    if (value->kind < JSON_ARRAY) {
        return ERR_OK;
    }
    if (key->size < 4 || load_be32(key->data) > key->size) {
        return bad_key(diag); /* an item has a byte at least */
    }
    value->count = load_be32(key->data);
    *key = slice_of(key->data + 4, key->size - 4);
    value->items = arena_alloc(arena, (value->count + (size_t)1) * sizeof *value->items);
    for (uint32_t i = 0; i < value->count; i++) {
        if (value->kind == JSON_OBJECT) {
            TRY(text_of_key(arena, key, &value->items[i].name, diag));
        }
        TRY(node_of_key(arena, key, depth - 1, &value->items[i].value, diag));
    }
    return ERR_OK;
}

enum err
jsonb__from_key(struct arena *arena, struct slice *key, struct datum *value, struct diag *diag)
{
    struct json json = {.kind = JSON_ARRAY};
    struct eval eval = {.arena = arena, .diag = diag};
    if (key->size > 0 && key->data[0] == KEY_EMPTY_ARRAY) {
        *key = slice_of(key->data + 1, key->size - 1);
    } else {
        TRY(node_of_key(arena, key, JSON_DEPTH_MAX + 1, &json, diag));
    }
    return jsonb__encode(&eval, &json, value);
}
