/*
 * sql/value/array.c - arrays of any element type, and int2vector and oidvector.
 *
 * In memory and in rows an array is these bytes:
 *
 *     OFFSET    SIZE  DESCRIPTION
 *          0       4  OID of the element type
 *          4       4  number of dimensions d, 0 (empty) to 6
 *          8     8*d  per dimension: size, lower bound (4 bytes each)
 *                 4*n  per element, the last dimension fastest: size of its bytes; -1 null
 *                 ...  the elements' bytes, as in a row (value__store)
 *
 * Two arrays compare by their elements, then by how many there are, then by dimensions; a null
 * element is above all others and equal to another null (PostgreSQL, Functions and Operators).
 */
#include <stdio.h>
#include <strings.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sql/value/array.h"

enum {
    HEADER = 8,
    BOUNDS = 8,
    NULL_SIZE = -1,
    ARRAY_BYTES_MAX = 1 << 30,
};

/* ---- reading and making ---------------------------------------------------------------------- */

uint32_t
array__open(struct datum array, struct array_reader *reader)
{
    *reader = (struct array_reader){.element = load_le32(array.p)};
    reader->dimensions = load_le32(array.p + 4);
    ASSERT(reader->dimensions <= ARRAY_DIMENSIONS_MAX);
    reader->count = reader->dimensions == 0 ? 0 : 1;
    const uint8_t *at = array.p + HEADER;
    for (uint32_t d = 0; d < reader->dimensions; d++, at += BOUNDS) {
        reader->sizes[d] = (int32_t)load_le32(at);
        reader->lower[d] = (int32_t)load_le32(at + 4);
        reader->count *= (uint32_t)reader->sizes[d];
    }
    reader->lengths = at;
    reader->bytes = at + (size_t)4 * reader->count;
    return reader->count;
}

bool
array__next(struct array_reader *reader, struct datum *element)
{
    if (reader->at == reader->count) {
        return false;
    }
    int32_t size = (int32_t)load_le32(reader->lengths + (size_t)4 * reader->at++);
    if (size == NULL_SIZE) {
        *element = datum_null();
        return true;
    }
    *element = value__load(reader->element, slice_of(reader->bytes, (size_t)size));
    reader->bytes += size;
    return true;
}

void
array__add(struct array_maker *maker, struct arena *arena, struct datum element)
{
    if (maker->count == maker->capacity) {
        uint32_t capacity = maker->capacity == 0 ? 8 : maker->capacity * 2;
        struct datum *bigger = arena_alloc_raw(arena, capacity * sizeof *bigger);
        if (maker->count > 0) {
            memcpy(bigger, maker->elements, maker->count * sizeof *bigger);
        }
        maker->elements = bigger;
        maker->capacity = capacity;
    }
    maker->elements[maker->count++] = element;
}

struct datum
array__make(struct arena *arena, const struct array_maker *maker)
{
    uint32_t dimensions = maker->count == 0 ? 0 : maker->dimensions == 0 ? 1 : maker->dimensions;
    struct buffer to = {0};
    uint8_t *header = buffer_extend(&to, HEADER + (size_t)dimensions * BOUNDS);
    store_le32(header, maker->element);
    store_le32(header + 4, dimensions);
    for (uint32_t d = 0; d < dimensions; d++) {
        bool plain = maker->dimensions == 0;
        store_le32(
            header + HEADER + (size_t)d * BOUNDS, plain ? maker->count : (uint32_t)maker->sizes[d]);
        store_le32(header + HEADER + (size_t)d * BOUNDS + 4,
            plain ? (uint32_t)(1 - maker->from_zero) : (uint32_t)maker->lower[d]);
    }
    size_t lengths = to.size;
    (void)buffer_extend(&to, (size_t)4 * maker->count);
    for (uint32_t i = 0; i < maker->count; i++) {
        size_t before = to.size;
        if (!maker->elements[i].null) {
            value__store(maker->element, maker->elements[i], &to);
        }
        store_le32(to.data + lengths + (size_t)4 * i,
            maker->elements[i].null ? (uint32_t)NULL_SIZE : (uint32_t)(to.size - before));
    }
    struct datum array = datum_bytes(arena_copy(arena, to.data, to.size), to.size);
    buffer_destroy(&to);
    return array;
}

struct datum
array_make(
    struct arena *arena, oid_t element, bool vector, const struct datum *elements, uint32_t count)
{
    struct array_maker maker = {.element = element, .from_zero = vector};
    for (uint32_t i = 0; i < count; i++) {
        array__add(&maker, arena, elements[i]);
    }
    return array__make(arena, &maker);
}

uint32_t
array_elements(struct arena *arena, struct datum array, struct datum **elements)
{
    struct array_reader reader;
    uint32_t count = array__open(array, &reader);
    *elements = arena_array(arena, count + 1U, sizeof **elements);
    for (uint32_t i = 0; i < count; i++) {
        (void)array__next(&reader, &(*elements)[i]);
    }
    return count;
}

/* The same dimensions as another array's. */
static void
take_bounds(struct array_maker *maker, const struct array_reader *reader)
{
    maker->dimensions = reader->dimensions;
    memcpy(maker->sizes, reader->sizes, sizeof maker->sizes);
    memcpy(maker->lower, reader->lower, sizeof maker->lower);
}

static bool
is_vector(oid_t type)
{
    return type == TYPE_INT2VECTOR || type == TYPE_OIDVECTOR;
}

/* ---- text ------------------------------------------------------------------------------------ */

struct parse {
    struct eval *eval;
    oid_t type, element;
    int32_t typmod;
    struct slice text;
    size_t at;
    struct array_maker maker;
    int32_t seen[ARRAY_DIMENSIONS_MAX]; /* items so far in the open braces of each depth */
    bool bounds;                        /* given before the text: [1:2]={..} */
};

static enum err
malformed(struct parse *parse, const char *detail)
{
    (void)diag_set(parse->eval->diag, ERR_INVALID_TEXT, "malformed array literal: \"%.*s\"",
        (int)parse->text.size, (const char *)parse->text.data);
    if (parse->eval->diag != NULL) {
        diag_detail(parse->eval->diag, "%s", detail);
    }
    return ERR_INVALID_TEXT;
}

static bool
is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next character that is not blank, 0 at the end. */
static uint8_t
peek(struct parse *parse)
{
    while (parse->at < parse->text.size && is_blank(parse->text.data[parse->at])) {
        parse->at++;
    }
    return parse->at < parse->text.size ? parse->text.data[parse->at] : 0;
}

/* One element, quoted or not, up to the comma or brace behind it. */
static enum err
parse_element(struct parse *parse)
{
    struct slice text = parse->text;
    uint8_t *own = arena_alloc_raw(parse->eval->arena, text.size - parse->at + 1);
    size_t size = 0;
    size_t solid = 0; /* without blanks at the end */
    bool quoted = text.data[parse->at] == '"';
    bool escaped = false;
    if (quoted) {
        parse->at++;
    }
    for (;; parse->at++) {
        if (parse->at == text.size) {
            return malformed(parse, "Unexpected end of input.");
        }
        uint8_t c = text.data[parse->at];
        if (c == '\\') {
            if (++parse->at == text.size) {
                return malformed(parse, "Unexpected end of input.");
            }
            escaped = true;
            own[size++] = text.data[parse->at];
            solid = size;
            continue;
        }
        if (quoted ? c == '"' : c == ',' || c == '}') {
            break;
        }
        if (!quoted && (c == '{' || c == '"')) {
            return malformed(
                parse, c == '{' ? "Unexpected \"{\" character." : "Unexpected array element.");
        }
        own[size++] = c;
        solid = quoted || !is_blank(c) ? size : solid;
    }
    parse->at += quoted ? 1 : 0;
    struct datum element = datum_null();
    bool null = !quoted && !escaped && solid == 4 && strncasecmp((char *)own, "null", 4) == 0;
    if (!null) {
        TRY(type_input(parse->eval, parse->element, parse->typmod,
            slice_of(own, quoted ? size : solid), &element));
    }
    array__add(&parse->maker, parse->eval->arena, element);
    return ERR_OK;
}

/* A brace closes at this depth: the count there must be that of its brothers. */
static enum err
close_dimension(struct parse *parse, uint32_t depth)
{
    int32_t seen = parse->seen[depth];
    if (parse->maker.sizes[depth] < 0) {
        parse->maker.sizes[depth] = seen;
    } else if (parse->maker.sizes[depth] != seen) {
        return malformed(parse, parse->bounds ? "Specified array dimensions do not match array "
                                                "contents."
                                              : "Multidimensional arrays must have sub-arrays "
                                                "with matching dimensions.");
    }
    return ERR_OK;
}

static enum err
parse_body(struct parse *parse)
{
    uint32_t depth = 0; /* braces that are open */
    bool expect = true; /* an item; else a comma or a brace */
    uint32_t deepest = 0;
    if (peek(parse) != '{') {
        return malformed(parse, "Array value must start with \"{\" or dimension information.");
    }
    do {
        uint8_t c = peek(parse);
        if (c == '{' && expect) {
            if (depth == ARRAY_DIMENSIONS_MAX) {
                return diag_set(parse->eval->diag, ERR_PROGRAM_LIMIT,
                    "number of array dimensions exceeds the maximum allowed (%d)",
                    ARRAY_DIMENSIONS_MAX);
            }
            if (parse->maker.count > 0 && depth == deepest) {
                return malformed(parse, "Unexpected \"{\" character.");
            }
            parse->seen[depth++] = 0;
            deepest = depth > deepest ? depth : deepest;
            parse->at++;
        } else if (c == '}' && (!expect || (deepest == 1 && parse->seen[0] == 0))) {
            TRY(close_dimension(parse, depth - 1));
            depth--;
            if (depth > 0) {
                parse->seen[depth - 1]++;
            }
            expect = false;
            parse->at++;
        } else if (c == ',' && !expect) {
            expect = true;
            parse->at++;
        } else if (expect && c != '}' && c != ',' && c != 0) {
            if (depth != deepest) {
                return malformed(parse, "Unexpected array element.");
            }
            TRY(parse_element(parse));
            parse->seen[depth - 1]++;
            expect = false;
        } else {
            return malformed(parse, c == 0 ? "Unexpected end of input." : "Unexpected character.");
        }
    } while (depth > 0);
    if (peek(parse) != 0) {
        return malformed(parse, "Junk after closing right brace.");
    }
    parse->maker.dimensions = deepest;
    return ERR_OK;
}

/* [l:u] or [u], once per dimension, and the = behind them. */
static enum err
parse_bounds(struct parse *parse)
{
    uint32_t d = 0;
    while (peek(parse) == '[') {
        long numbers[2] = {1, 0};
        int count = 0;
        do {
            parse->at++;
            bool negative = parse->at < parse->text.size && parse->text.data[parse->at] == '-';
            parse->at += negative ? 1 : 0;
            size_t start = parse->at;
            long number = 0;
            while (parse->at < parse->text.size && parse->text.data[parse->at] >= '0' &&
                   parse->text.data[parse->at] <= '9' && parse->at - start < 9) {
                number = 10 * number + (parse->text.data[parse->at++] - '0');
            }
            if (parse->at == start) {
                return malformed(parse, "Missing array dimension value.");
            }
            numbers[1] = negative ? -number : number;
            numbers[0] = count++ == 0 && peek(parse) == ':' ? numbers[1] : numbers[0];
        } while (count == 1 && peek(parse) == ':');
        if (peek(parse) != ']' || d == ARRAY_DIMENSIONS_MAX) {
            return malformed(parse, "Missing \"]\" after array dimensions.");
        }
        if (numbers[1] < numbers[0]) {
            return diag_set(parse->eval->diag, ERR_ARRAY_SUBSCRIPT,
                "upper bound cannot be less than lower bound");
        }
        parse->at++;
        parse->maker.sizes[d] = (int32_t)(numbers[1] - numbers[0] + 1);
        parse->maker.lower[d++] = (int32_t)numbers[0];
    }
    parse->bounds = d > 0;
    if (d > 0 && peek(parse) != '=') {
        return malformed(parse, "Missing \"=\" after array dimensions.");
    }
    parse->at += d > 0 ? 1 : 0;
    parse->maker.dimensions = d;
    return ERR_OK;
}

/* int2vector and oidvector: numbers and blanks. */
static enum err
vector_input(struct parse *parse)
{
    while (peek(parse) != 0) {
        size_t start = parse->at;
        while (parse->at < parse->text.size && !is_blank(parse->text.data[parse->at])) {
            parse->at++;
        }
        struct datum element;
        TRY(type_input(parse->eval, parse->element, -1,
            slice_of(parse->text.data + start, parse->at - start), &element));
        array__add(&parse->maker, parse->eval->arena, element);
    }
    parse->maker.from_zero = true;
    return ERR_OK;
}

enum err
array__input(struct eval *eval, oid_t type, int32_t typmod, struct slice text, struct datum *value)
{
    struct parse parse = {
        .eval = eval, .type = type, .element = type_element(type), .typmod = typmod, .text = text};
    parse.maker.element = parse.element;
    if (is_vector(type)) {
        TRY(vector_input(&parse));
        *value = array__make(eval->arena, &parse.maker);
        return ERR_OK;
    }
    for (int d = 0; d < ARRAY_DIMENSIONS_MAX; d++) {
        parse.maker.sizes[d] = -1;
        parse.maker.lower[d] = 1;
    }
    TRY(parse_bounds(&parse));
    uint32_t given = parse.maker.dimensions;
    TRY(parse_body(&parse));
    if (given > 0 && given != parse.maker.dimensions) {
        return malformed(&parse, "Specified array dimensions do not match array contents.");
    }
    *value = array__make(eval->arena, &parse.maker);
    return ERR_OK;
}

static bool
needs_quotes(struct slice text)
{
    if (text.size == 0 ||
        (text.size == 4 && strncasecmp((const char *)text.data, "null", 4) == 0)) {
        return true;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\' || c == '{' || c == '}' || c == ',' || is_blank(c)) {
            return true;
        }
    }
    return false;
}

static void
put_quoted(struct slice text, struct buffer *to)
{
    buffer_add_u8(to, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            buffer_add_u8(to, '\\');
        }
        buffer_add_u8(to, text.data[i]);
    }
    buffer_add_u8(to, '"');
}

static void
put_element(const struct eval_env *env, oid_t type, struct datum element, struct buffer *to)
{
    if (element.null) {
        buffer_add_text(to, "NULL");
        return;
    }
    struct buffer text = {0};
    type_output(env, type, element, &text);
    struct slice slice = slice_of(text.data, text.size);
    if (needs_quotes(slice)) {
        put_quoted(slice, to);
    } else {
        buffer_add(to, text.data, text.size);
    }
    buffer_destroy(&text);
}

void
array__output(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to)
{
    struct array_reader reader;
    struct datum element;
    (void)array__open(value, &reader);
    if (is_vector(type)) {
        for (bool first = true; array__next(&reader, &element); first = false) {
            buffer_add_text(to, first ? "" : " ");
            type_output(env, reader.element, element, to);
        }
        return;
    }
    bool bounds = false;
    for (uint32_t d = 0; d < reader.dimensions; d++) {
        bounds = bounds || reader.lower[d] != 1;
    }
    for (uint32_t d = 0; bounds && d < reader.dimensions; d++) {
        buffer_printf(to, "[%d:%d]%s", reader.lower[d], reader.lower[d] + reader.sizes[d] - 1,
            d + 1 == reader.dimensions ? "=" : "");
    }
    if (reader.count == 0) {
        buffer_add_text(to, "{}");
        return;
    }
    /* Before element i a brace opens for each dimension whose stride divides i; and so behind. */
    for (uint32_t i = 0; array__next(&reader, &element); i++) {
        buffer_add_text(to, i == 0 ? "" : ",");
        uint32_t stride = 1;
        for (uint32_t d = reader.dimensions; d-- > 0;) {
            stride *= (uint32_t)reader.sizes[d];
            buffer_add_text(to, i % stride == 0 ? "{" : "");
        }
        put_element(env, reader.element, element, to);
        stride = 1;
        for (uint32_t d = reader.dimensions; d-- > 0;) {
            stride *= (uint32_t)reader.sizes[d];
            buffer_add_text(to, (i + 1) % stride == 0 ? "}" : "");
        }
    }
}

/* ---- binary ---------------------------------------------------------------------------------- */

void
array__send(const struct eval_env *env, struct datum value, struct buffer *to)
{
    struct array_reader reader;
    struct datum element;
    (void)array__open(value, &reader);
    buffer_add_be32(to, reader.dimensions);
    size_t flags = to->size;
    buffer_add_be32(to, 0);
    buffer_add_be32(to, reader.element);
    for (uint32_t d = 0; d < reader.dimensions; d++) {
        buffer_add_be32(to, (uint32_t)reader.sizes[d]);
        buffer_add_be32(to, (uint32_t)reader.lower[d]);
    }
    while (array__next(&reader, &element)) {
        size_t size_at = to->size;
        buffer_add_be32(to, (uint32_t)NULL_SIZE);
        if (element.null) {
            store_be32(to->data + flags, 1);
            continue;
        }
        type_send(env, reader.element, element, to);
        store_be32(to->data + size_at, (uint32_t)(to->size - size_at - 4));
    }
}

static enum err
bad_binary(struct eval *eval, const char *what)
{
    return diag_set(eval->diag, ERR_INVALID_BINARY, "%s", what);
}

enum err
array__receive(
    struct eval *eval, oid_t type, int32_t typmod, struct slice bytes, struct datum *value)
{
    struct array_maker maker = {.element = type_element(type)};
    if (bytes.size < 12) {
        return diag_set(eval->diag, ERR_PROTOCOL, "insufficient data left in message");
    }
    uint32_t dimensions = load_be32(bytes.data);
    if (dimensions > ARRAY_DIMENSIONS_MAX) {
        return diag_set(eval->diag, ERR_PROGRAM_LIMIT,
            "number of array dimensions (%u) exceeds the maximum allowed (%d)", dimensions,
            ARRAY_DIMENSIONS_MAX);
    }
    if (load_be32(bytes.data + 4) > 1) {
        return bad_binary(eval, "invalid array flags");
    }
    if (load_be32(bytes.data + 8) != maker.element) {
        return diag_set(eval->diag, ERR_DATATYPE_MISMATCH, "wrong element type");
    }
    size_t at = 12;
    uint64_t count = dimensions == 0 ? 0 : 1;
    for (uint32_t d = 0; d < dimensions; d++, at += 8) {
        if (bytes.size - at < 8) {
            return diag_set(eval->diag, ERR_PROTOCOL, "insufficient data left in message");
        }
        maker.sizes[d] = (int32_t)load_be32(bytes.data + at);
        maker.lower[d] = (int32_t)load_be32(bytes.data + at + 4);
        count *= maker.sizes[d] < 0 ? UINT32_MAX : (uint32_t)maker.sizes[d];
        /* Each element has at least its size word. */
        if (count > bytes.size) {
            return bad_binary(eval, "invalid array size");
        }
    }
    maker.dimensions = dimensions;
    for (uint64_t i = 0; i < count; i++) {
        if (bytes.size - at < 4) {
            return diag_set(eval->diag, ERR_PROTOCOL, "insufficient data left in message");
        }
        int32_t size = (int32_t)load_be32(bytes.data + at);
        at += 4;
        struct datum element = datum_null();
        if (size != NULL_SIZE) {
            if (size < 0 || (size_t)size > bytes.size - at) {
                return bad_binary(eval, "insufficient data left in message");
            }
            TRY(type_receive(
                eval, maker.element, typmod, slice_of(bytes.data + at, (size_t)size), &element));
            at += (size_t)size;
        }
        array__add(&maker, eval->arena, element);
    }
    if (at != bytes.size) {
        return bad_binary(eval, "incorrect binary data format in bind parameter");
    }
    *value = array__make(eval->arena, &maker);
    return ERR_OK;
}

enum err
array__apply_typmod(
    struct eval *eval, int32_t typmod, bool explicit_cast, struct datum value, struct datum *result)
{
    struct array_reader reader;
    struct datum element;
    (void)array__open(value, &reader);
    struct array_maker maker = {.element = reader.element};
    take_bounds(&maker, &reader);
    while (array__next(&reader, &element)) {
        struct datum fitted;
        TRY(type_apply_typmod(eval, reader.element, typmod, explicit_cast, element, &fitted));
        array__add(&maker, eval->arena, fitted);
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* ---- comparing, hashing ---------------------------------------------------------------------- */

static int
compare_elements(oid_t type, struct datum a, struct datum b)
{
    if (a.null || b.null) {
        return (a.null ? 1 : 0) - (b.null ? 1 : 0);
    }
    return datum_compare(type, a, b);
}

int
array__compare(struct datum a, struct datum b)
{
    struct array_reader x, y;
    struct datum left, right;
    (void)array__open(a, &x);
    (void)array__open(b, &y);
    uint32_t common = x.count < y.count ? x.count : y.count;
    for (uint32_t i = 0; i < common; i++) {
        (void)array__next(&x, &left);
        (void)array__next(&y, &right);
        int order = compare_elements(x.element, left, right);
        if (order != 0) {
            return order;
        }
    }
    if (x.count != y.count) {
        return x.count < y.count ? -1 : 1;
    }
    if (x.dimensions != y.dimensions) {
        return x.dimensions < y.dimensions ? -1 : 1;
    }
    for (uint32_t d = 0; d < x.dimensions; d++) {
        if (x.sizes[d] != y.sizes[d]) {
            return x.sizes[d] < y.sizes[d] ? -1 : 1;
        }
        if (x.lower[d] != y.lower[d]) {
            return x.lower[d] < y.lower[d] ? -1 : 1;
        }
    }
    return 0;
}

uint64_t
array__hash(struct datum value, uint64_t seed)
{
    struct array_reader reader;
    struct datum element;
    (void)array__open(value, &reader);
    uint64_t hash = hash_u64(seed ^ reader.count);
    while (array__next(&reader, &element)) {
        hash = element.null ? hash_u64(hash) : datum_hash(reader.element, element, hash);
    }
    return hash;
}

/* ---- functions ------------------------------------------------------------------------------- */

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

/* array_build(element type, elements ..): ARRAY[..] of scalars; of arrays one dimension more. */
FN(array_build)
{
    struct array_maker maker = {.element = (oid_t)args[0].i};
    for (int i = 1; i < count; i++) {
        array__add(&maker, eval->arena, args[i]);
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

static enum err
dimension_mismatch(struct eval *eval)
{
    return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT,
        "multidimensional arrays must have array expressions with matching dimensions");
}

/* array_stack(element type, arrays ..): ARRAY[a, b] of arrays. */
FN(array_stack)
{
    struct array_maker maker = {.element = (oid_t)args[0].i};
    struct array_reader first = {0};
    for (int i = 1; i < count; i++) {
        struct array_reader reader;
        struct datum element;
        if (args[i].null) {
            return dimension_mismatch(eval);
        }
        (void)array__open(args[i], &reader);
        if (i == 1) {
            first = reader;
        }
        bool same = reader.dimensions == first.dimensions;
        for (uint32_t d = 0; same && d < reader.dimensions; d++) {
            same = reader.sizes[d] == first.sizes[d] && reader.lower[d] == first.lower[d];
        }
        if (!same) {
            return dimension_mismatch(eval);
        }
        while (array__next(&reader, &element)) {
            array__add(&maker, eval->arena, element);
        }
    }
    if (first.dimensions == ARRAY_DIMENSIONS_MAX) {
        return diag_set(eval->diag, ERR_PROGRAM_LIMIT,
            "number of array dimensions exceeds the maximum allowed (%d)", ARRAY_DIMENSIONS_MAX);
    }
    maker.dimensions = first.dimensions + 1;
    maker.sizes[0] = count - 1;
    maker.lower[0] = 1;
    memcpy(maker.sizes + 1, first.sizes, (ARRAY_DIMENSIONS_MAX - 1) * sizeof(int32_t));
    memcpy(maker.lower + 1, first.lower, (ARRAY_DIMENSIONS_MAX - 1) * sizeof(int32_t));
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* array_get(array, subscripts ..) */
FN(array_get)
{
    (void)eval;
    struct array_reader reader;
    (void)array__open(args[0], &reader);
    *result = datum_null();
    if (reader.dimensions != (uint32_t)count - 1) {
        return ERR_OK;
    }
    uint32_t place = 0;
    for (uint32_t d = 0; d < reader.dimensions; d++) {
        int64_t offset = args[d + 1].i - reader.lower[d];
        if (offset < 0 || offset >= reader.sizes[d]) {
            return ERR_OK;
        }
        place = place * (uint32_t)reader.sizes[d] + (uint32_t)offset;
    }
    do {
        (void)array__next(&reader, result);
    } while (place-- > 0);
    return ERR_OK;
}

/* name[i]: its bytes from 0, as "char". */
FN(name_get)
{
    (void)eval;
    UNUSED_COUNT;
    enum {
        NAME_SIZE = 64,
    };
    int64_t at = args[1].i;
    *result = at < 0 || at >= NAME_SIZE ? datum_null()
              : at < args[0].size       ? datum_int(args[0].p[at])
                                        : datum_int(0);
    return ERR_OK;
}

/* array_any(operator's function, x, array): x op ANY (array); array_all likewise. The function is a
 * pointer in a constant that the binder made; tables of functions never move. */
static enum err
any_or_all(struct eval *eval, const struct datum *args, bool all, struct datum *result)
{
    const struct function *function = (const struct function *)(intptr_t)args[0].i;
    *result = datum_null();
    if (args[2].null) {
        return ERR_OK;
    }
    struct array_reader reader;
    struct datum both[2] = {args[1]};
    bool strict = (function->flags & FUNCTION_STRICT) != 0;
    bool unknown = false;
    (void)array__open(args[2], &reader);
    while (array__next(&reader, &both[1])) {
        struct datum one = datum_null();
        if (!strict || (!both[0].null && !both[1].null)) {
            TRY(function->call(eval, both, 2, &one));
        }
        if (one.null) {
            unknown = true;
        } else if ((one.i != 0) != all) {
            *result = datum_bool(!all);
            return ERR_OK;
        }
    }
    *result = unknown ? datum_null() : datum_bool(all);
    return ERR_OK;
}

FN(array_any)
{
    UNUSED_COUNT;
    return any_or_all(eval, args, false, result);
}

FN(array_all)
{
    UNUSED_COUNT;
    return any_or_all(eval, args, true, result);
}

/* array_cast(cast's function or 0, target element type, array): 0 is through the text form, or as
 * it is if both have the same bytes (source and target store alike: the flag). */
FN(array_cast)
{
    UNUSED_COUNT;
    const struct function *function = (const struct function *)(intptr_t)args[0].i;
    struct array_reader reader;
    struct datum element;
    (void)array__open(args[2], &reader);
    struct array_maker maker = {.element = (oid_t)args[1].i};
    take_bounds(&maker, &reader);
    const struct function *own;
    bool relabel = function == NULL &&
                   cast_find(reader.element, maker.element, CAST_EXPLICIT, &own) == CAST_RELABEL;
    while (array__next(&reader, &element)) {
        if (!element.null && function != NULL) {
            struct datum from = element;
            TRY(function->call(eval, &from, 1, &element));
        } else if (!element.null && !relabel) {
            struct buffer text = {0};
            type_output(eval->env, reader.element, element, &text);
            enum err err =
                type_input(eval, maker.element, -1, slice_of(text.data, text.size), &element);
            buffer_destroy(&text);
            TRY(err);
        }
        array__add(&maker, eval->arena, element);
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* array_to_string(array, delimiter [, what a null becomes]) */
FN(array_to_string)
{
    if (args[0].null || args[1].null) {
        *result = datum_null();
        return ERR_OK;
    }
    struct array_reader reader;
    struct datum element;
    struct buffer to = {0};
    bool any = false;
    (void)array__open(args[0], &reader);
    while (array__next(&reader, &element)) {
        if (element.null && (count < 3 || args[2].null)) {
            continue;
        }
        if (any) {
            buffer_add(&to, args[1].p, args[1].size);
        }
        any = true;
        if (element.null) {
            buffer_add(&to, args[2].p, args[2].size);
        } else {
            type_output(eval->env, reader.element, element, &to);
        }
    }
    *result = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return ERR_OK;
}

/* string_to_array(text, delimiter [, what means null]); delimiter null: every character. */
FN(string_to_array)
{
    if (args[0].null) {
        *result = datum_null();
        return ERR_OK;
    }
    struct array_maker maker = {.element = TYPE_TEXT};
    struct slice text = datum_slice(args[0]);
    size_t start = 0;
    while (text.size > 0 && start <= text.size) {
        size_t end = text.size;
        size_t skip = 1; /* ends the loop */
        if (args[1].null) {
            end = start + utf8_offset(slice_of(text.data + start, text.size - start), 1);
            skip = end == text.size ? 1 : 0;
        } else if (args[1].size > 0) {
            const uint8_t *found =
                memmem(text.data + start, text.size - start, args[1].p, args[1].size);
            if (found != NULL) {
                end = (size_t)(found - text.data);
                skip = args[1].size;
            }
        }
        struct datum piece = datum_bytes(text.data + start, end - start);
        bool null =
            count > 2 && !args[2].null && slice_equal(datum_slice(piece), datum_slice(args[2]));
        array__add(&maker, eval->arena, null ? datum_null() : piece);
        start = end + skip;
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* The dimension asked for, from 0; UINT32_MAX: there is none. */
static uint32_t
dimension_of(const struct datum *args, struct array_reader *reader)
{
    (void)array__open(args[0], reader);
    return args[1].i < 1 || args[1].i > reader->dimensions ? UINT32_MAX : (uint32_t)args[1].i - 1;
}

FN(array_length)
{
    (void)eval;
    UNUSED_COUNT;
    struct array_reader reader;
    uint32_t d = dimension_of(args, &reader);
    *result = d == UINT32_MAX ? datum_null() : datum_int(reader.sizes[d]);
    return ERR_OK;
}

FN(array_lower)
{
    (void)eval;
    UNUSED_COUNT;
    struct array_reader reader;
    uint32_t d = dimension_of(args, &reader);
    *result = d == UINT32_MAX ? datum_null() : datum_int(reader.lower[d]);
    return ERR_OK;
}

FN(array_upper)
{
    (void)eval;
    UNUSED_COUNT;
    struct array_reader reader;
    uint32_t d = dimension_of(args, &reader);
    *result =
        d == UINT32_MAX ? datum_null() : datum_int((int64_t)reader.lower[d] + reader.sizes[d] - 1);
    return ERR_OK;
}

FN(array_ndims)
{
    (void)eval;
    UNUSED_COUNT;
    struct array_reader reader;
    (void)array__open(args[0], &reader);
    *result = reader.dimensions == 0 ? datum_null() : datum_int(reader.dimensions);
    return ERR_OK;
}

FN(array_dims)
{
    UNUSED_COUNT;
    struct array_reader reader;
    (void)array__open(args[0], &reader);
    char *text = arena_strdup(eval->arena, "");
    for (uint32_t d = 0; d < reader.dimensions; d++) {
        text = arena_printf(
            eval->arena, "%s[%d:%d]", text, reader.lower[d], reader.lower[d] + reader.sizes[d] - 1);
    }
    *result = reader.dimensions == 0 ? datum_null() : value__text(eval, text);
    return ERR_OK;
}

FN(cardinality)
{
    (void)eval;
    UNUSED_COUNT;
    struct array_reader reader;
    *result = datum_int(array__open(args[0], &reader));
    return ERR_OK;
}

static void
add_all(struct eval *eval, struct array_maker *maker, struct datum array)
{
    struct array_reader reader;
    struct datum element;
    (void)array__open(array, &reader);
    while (array__next(&reader, &element)) {
        array__add(maker, eval->arena, element);
    }
}

static enum err
one_dimension(struct eval *eval, struct datum array)
{
    struct array_reader reader;
    (void)array__open(array, &reader);
    return reader.dimensions <= 1 ? ERR_OK
                                  : diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED,
                                        "this function does not support multidimensional arrays");
}

/* One element before or behind; the first subscript stays. */
static enum err
grow(struct eval *eval, oid_t element, struct datum array, struct datum item, bool before,
    struct datum *result)
{
    struct array_maker maker = {.element = element};
    struct array_reader reader = {0};
    if (!array.null && array__open(array, &reader) > 0 && reader.dimensions > 1) {
        return diag_set(
            eval->diag, ERR_DATA_EXCEPTION, "argument must be empty or one-dimensional array");
    }
    if (before) {
        array__add(&maker, eval->arena, item);
    }
    if (!array.null) {
        add_all(eval, &maker, array);
    }
    if (!before) {
        array__add(&maker, eval->arena, item);
    }
    if (reader.dimensions == 1) {
        maker.dimensions = 1;
        maker.lower[0] = reader.lower[0];
        maker.sizes[0] = (int32_t)maker.count;
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* array_append(array, element, its type) */
FN(array_append)
{
    UNUSED_COUNT;
    return grow(eval, (oid_t)args[2].i, args[0], args[1], false, result);
}

/* array_prepend(element, array, its type) */
FN(array_prepend)
{
    UNUSED_COUNT;
    return grow(eval, (oid_t)args[2].i, args[1], args[0], true, result);
}

/* Do the dimensions of b from `from` on equal those of a from `skip` on? */
static bool
inner_match(
    const struct array_reader *a, uint32_t skip, const struct array_reader *b, uint32_t from)
{
    for (uint32_t d = 0; skip + d < a->dimensions; d++) {
        if (a->sizes[skip + d] != b->sizes[from + d] || a->lower[skip + d] != b->lower[from + d]) {
            return false;
        }
    }
    return true;
}

/* Arrays of as many dimensions one behind the other, or one as the last (first) item of the other
 * that has one dimension more. */
FN(array_cat)
{
    UNUSED_COUNT;
    if (args[0].null || args[1].null) {
        *result = args[0].null ? args[1] : args[0];
        return ERR_OK;
    }
    struct array_reader a, b;
    (void)array__open(args[0], &a);
    (void)array__open(args[1], &b);
    if (a.count == 0 || b.count == 0) {
        *result = a.count == 0 ? args[1] : args[0];
        return ERR_OK;
    }
    struct array_maker maker = {.element = a.element};
    take_bounds(&maker, a.dimensions >= b.dimensions ? &a : &b);
    bool match;
    if (a.dimensions == b.dimensions) {
        match = inner_match(&a, 1, &b, 1);
        maker.sizes[0] += b.sizes[0];
    } else if (a.dimensions == b.dimensions + 1) {
        match = inner_match(&a, 1, &b, 0);
        maker.sizes[0]++;
    } else {
        match = b.dimensions == a.dimensions + 1 && inner_match(&b, 1, &a, 0);
        maker.sizes[0]++;
    }
    if (!match) {
        return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "cannot concatenate incompatible arrays");
    }
    add_all(eval, &maker, args[0]);
    add_all(eval, &maker, args[1]);
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

static bool
same_element(oid_t type, struct datum a, struct datum b)
{
    return compare_elements(type, a, b) == 0;
}

FN(array_position)
{
    UNUSED_COUNT;
    *result = datum_null();
    if (args[0].null) {
        return ERR_OK;
    }
    TRY(one_dimension(eval, args[0]));
    struct array_reader reader;
    struct datum element;
    (void)array__open(args[0], &reader);
    for (int64_t i = reader.lower[0]; array__next(&reader, &element); i++) {
        if (same_element(reader.element, element, args[1])) {
            *result = datum_int(i);
            return ERR_OK;
        }
    }
    return ERR_OK;
}

FN(array_remove)
{
    UNUSED_COUNT;
    *result = datum_null();
    if (args[0].null) {
        return ERR_OK;
    }
    TRY(one_dimension(eval, args[0]));
    struct array_reader reader;
    struct datum element;
    (void)array__open(args[0], &reader);
    struct array_maker maker = {.element = reader.element};
    while (array__next(&reader, &element)) {
        if (!same_element(reader.element, element, args[1])) {
            array__add(&maker, eval->arena, element);
        }
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

FN(array_positions)
{
    UNUSED_COUNT;
    *result = datum_null();
    if (args[0].null) {
        return ERR_OK;
    }
    TRY(one_dimension(eval, args[0]));
    struct array_reader reader;
    struct datum element;
    struct array_maker maker = {.element = TYPE_INT4};
    (void)array__open(args[0], &reader);
    for (int64_t i = reader.lower[0]; array__next(&reader, &element); i++) {
        if (same_element(reader.element, element, args[1])) {
            array__add(&maker, eval->arena, datum_int(i));
        }
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* An empty maker of the shape of what is read. */
static struct array_maker
same_shape(const struct array_reader *reader)
{
    struct array_maker maker = {.element = reader->element, .dimensions = reader->dimensions};
    memcpy(maker.sizes, reader->sizes, sizeof maker.sizes);
    memcpy(maker.lower, reader->lower, sizeof maker.lower);
    return maker;
}

/* array_replace(array, from, to) */
FN(array_replace)
{
    UNUSED_COUNT;
    *result = datum_null();
    if (args[0].null) {
        return ERR_OK;
    }
    struct array_reader reader;
    struct datum element;
    (void)array__open(args[0], &reader);
    struct array_maker maker = same_shape(&reader);
    while (array__next(&reader, &element)) {
        bool same = same_element(reader.element, element, args[1]);
        array__add(&maker, eval->arena, same ? args[2] : element);
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* Without the last n of the first dimension. */
FN(trim_array)
{
    UNUSED_COUNT;
    struct array_reader reader;
    struct datum element;
    uint32_t all = array__open(args[0], &reader);
    int32_t rows = reader.dimensions == 0 ? 0 : reader.sizes[0];
    if (args[1].i < 0 || args[1].i > rows) {
        return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT,
            "number of elements to trim must be between 0 and %d", rows);
    }
    struct array_maker maker = same_shape(&reader);
    uint32_t kept = rows == 0 ? 0 : all / (uint32_t)rows * (uint32_t)(rows - args[1].i);
    maker.sizes[0] = rows - (int32_t)args[1].i;
    maker.dimensions = kept == 0 ? 0 : maker.dimensions;
    for (uint32_t d = 0; d < maker.dimensions; d++) {
        maker.lower[d] = 1;
    }
    while (maker.count < kept && array__next(&reader, &element)) {
        array__add(&maker, eval->arena, element);
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* array_fill(element, sizes [, lower bounds], its type) */
FN(array_fill)
{
    struct array_reader sizes;
    struct array_reader lower = {0};
    struct datum size;
    struct datum low;
    if (args[1].null || (count > 3 && args[2].null)) {
        return diag_set(
            eval->diag, ERR_NULL_VALUE, "dimension array or low bound array cannot be null");
    }
    struct array_maker maker = {.element = (oid_t)args[count - 1].i};
    maker.dimensions = array__open(args[1], &sizes);
    uint32_t bounds = count > 3 ? array__open(args[2], &lower) : maker.dimensions;
    if (maker.dimensions > ARRAY_DIMENSIONS_MAX) {
        return diag_set(eval->diag, ERR_PROGRAM_LIMIT,
            "number of array dimensions (%u) exceeds the maximum allowed (%d)", maker.dimensions,
            ARRAY_DIMENSIONS_MAX);
    }
    if (sizes.dimensions > 1 || lower.dimensions > 1 || bounds != maker.dimensions) {
        enum err err =
            diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "wrong number of array subscripts");
        diag_detail(eval->diag, bounds != maker.dimensions
                                    ? "Low bound array has different size than dimensions array."
                                    : "Dimension array must be one dimensional.");
        return err;
    }
    uint64_t all = maker.dimensions == 0 ? 0 : 1;
    for (uint32_t d = 0; d < maker.dimensions; d++) {
        (void)array__next(&sizes, &size);
        low = datum_int(1);
        if (count > 3) {
            (void)array__next(&lower, &low);
        }
        if (size.null || low.null) {
            return diag_set(eval->diag, ERR_NULL_VALUE, "dimension values cannot be null");
        }
        maker.sizes[d] = (int32_t)size.i;
        maker.lower[d] = (int32_t)low.i;
        all = size.i < 0 ? UINT64_MAX : all * (uint64_t)size.i;
        if (all > (1U << 27)) {
            return diag_set(eval->diag, ERR_PROGRAM_LIMIT,
                "array size exceeds the maximum allowed (%d)", 1 << 27);
        }
    }
    maker.dimensions = all == 0 ? 0 : maker.dimensions;
    for (uint64_t i = 0; i < all; i++) {
        array__add(&maker, eval->arena, args[0]);
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

static bool
contains(struct datum array, oid_t type, struct datum wanted)
{
    struct array_reader reader;
    struct datum element;
    (void)array__open(array, &reader);
    while (array__next(&reader, &element)) {
        if (!element.null && datum_compare(type, element, wanted) == 0) {
            return true;
        }
    }
    return false;
}

/* How many elements of b are in a, and how many b has; nulls are in nothing. */
static uint32_t
common_count(struct datum a, struct datum b, uint32_t *all)
{
    struct array_reader reader;
    struct datum element;
    uint32_t common = 0;
    *all = array__open(b, &reader);
    while (array__next(&reader, &element)) {
        common += !element.null && contains(a, reader.element, element) ? 1 : 0;
    }
    return common;
}

FN(array_contains)
{
    (void)eval;
    UNUSED_COUNT;
    uint32_t all;
    *result = datum_bool(common_count(args[0], args[1], &all) == all);
    return ERR_OK;
}

FN(array_contained)
{
    (void)eval;
    UNUSED_COUNT;
    uint32_t all;
    *result = datum_bool(common_count(args[1], args[0], &all) == all);
    return ERR_OK;
}

FN(array_overlap)
{
    (void)eval;
    UNUSED_COUNT;
    uint32_t all;
    *result = datum_bool(common_count(args[0], args[1], &all) > 0);
    return ERR_OK;
}

#define COMPARE(name, op)                                            \
    FN(name)                                                         \
    {                                                                \
        (void)eval;                                                  \
        UNUSED_COUNT;                                                \
        *result = datum_bool(array__compare(args[0], args[1]) op 0); \
        return ERR_OK;                                               \
    }
COMPARE(array_eq, ==)
COMPARE(array_ne, !=)
COMPARE(array_lt, <)
COMPARE(array_le, <=)
COMPARE(array_gt, >)
COMPARE(array_ge, >=)

/* ---- sets ------------------------------------------------------------------------------------ */

static enum err
unnest_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    (void)eval;
    UNUSED_COUNT;
    struct array_reader *reader = memory;
    *reader = (struct array_reader){0};
    if (!args[0].null) {
        (void)array__open(args[0], reader);
    }
    return ERR_OK;
}

static enum err
unnest_next(struct eval *eval, void *memory, struct datum *value, bool *done)
{
    (void)eval;
    *done = !array__next(memory, value);
    return ERR_OK;
}

static const struct set_function unnest = {
    .state_size = sizeof(struct array_reader), .start = unnest_start, .next = unnest_next};

struct subscripts {
    int64_t at, end;
};

static enum err
subscripts_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    (void)eval;
    UNUSED_COUNT;
    struct subscripts *state = memory;
    *state = (struct subscripts){.at = 1};
    if (!args[0].null && !args[1].null) {
        struct array_reader reader;
        uint32_t d = dimension_of(args, &reader);
        if (d != UINT32_MAX) {
            state->at = reader.lower[d];
            state->end = state->at + reader.sizes[d] - 1;
        }
    }
    return ERR_OK;
}

static enum err
subscripts_next(struct eval *eval, void *memory, struct datum *value, bool *done)
{
    (void)eval;
    struct subscripts *state = memory;
    *done = state->at > state->end;
    *value = datum_int(state->at++);
    return ERR_OK;
}

static const struct set_function generate_subscripts = {
    .state_size = sizeof(struct subscripts), .start = subscripts_start, .next = subscripts_next};

/* array_agg(x, its type) */
struct agg_state {
    struct array_maker maker;
};

static enum err
array_agg_step(
    struct eval *eval, void *memory, struct arena *group, const struct datum *args, int count)
{
    (void)eval;
    UNUSED_COUNT;
    struct agg_state *state = memory;
    state->maker.element = (oid_t)args[1].i;
    array__add(&state->maker, group, datum_copy(group, state->maker.element, args[0]));
    return ERR_OK;
}

static enum err
array_agg_finish(struct eval *eval, void *memory, struct datum *result)
{
    const struct agg_state *state = memory;
    *result = state->maker.count == 0 ? datum_null() : array__make(eval->arena, &state->maker);
    return ERR_OK;
}

static const struct aggregate array_agg = {
    sizeof(struct agg_state), array_agg_step, array_agg_finish};

/* array_agg(array): one dimension more. */
static enum err
arrays_agg_step(
    struct eval *eval, void *memory, struct arena *group, const struct datum *args, int count)
{
    UNUSED_COUNT;
    struct agg_state *state = memory;
    struct array_maker *maker = &state->maker;
    struct array_reader reader;
    struct datum element;
    if (args[0].null) {
        return diag_set(eval->diag, ERR_NULL_VALUE, "cannot accumulate null arrays");
    }
    (void)array__open(args[0], &reader);
    if (reader.dimensions == 0) {
        return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "cannot accumulate empty arrays");
    }
    if (maker->dimensions == 0) {
        if (reader.dimensions == ARRAY_DIMENSIONS_MAX) {
            return diag_set(eval->diag, ERR_PROGRAM_LIMIT,
                "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                ARRAY_DIMENSIONS_MAX + 1, ARRAY_DIMENSIONS_MAX);
        }
        maker->element = reader.element;
        maker->dimensions = reader.dimensions + 1;
        maker->lower[0] = 1;
        memcpy(&maker->sizes[1], reader.sizes, reader.dimensions * sizeof reader.sizes[0]);
        memcpy(&maker->lower[1], reader.lower, reader.dimensions * sizeof reader.lower[0]);
    }
    if (maker->dimensions != reader.dimensions + 1 ||
        memcmp(&maker->sizes[1], reader.sizes, reader.dimensions * sizeof reader.sizes[0]) != 0 ||
        memcmp(&maker->lower[1], reader.lower, reader.dimensions * sizeof reader.lower[0]) != 0) {
        return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT,
            "cannot accumulate arrays of different dimensionality");
    }
    maker->sizes[0]++;
    while (array__next(&reader, &element)) {
        array__add(maker, group, datum_copy(group, maker->element, element));
    }
    return ERR_OK;
}

static const struct aggregate arrays_agg = {
    sizeof(struct agg_state), arrays_agg_step, array_agg_finish};

/* ---- the tables ------------------------------------------------------------------------------ */

#define S    FUNCTION_STRICT
#define ARR  TYPE_ANYARRAY
#define ELEM TYPE_ANYELEMENT
#define I4   TYPE_INT4
#define T    TYPE_TEXT
#define I    FUNCTION_INTERNAL

static const struct function functions[] = {
    {"array_build", 0, ARR, 2, 1, I | FUNCTION_VARIADIC, {TYPE_OID, ELEM}, array_build, NULL, NULL},
    {"array_stack", 0, ARR, 2, 1, I | FUNCTION_VARIADIC, {TYPE_OID, ARR}, array_stack, NULL, NULL},
    {"array_get", 0, ELEM, 2, 2, I | S | FUNCTION_VARIADIC, {ARR, I4}, array_get, NULL, NULL},
    {"name_get", 0, TYPE_CHAR, 2, 2, I | S, {TYPE_NAME, I4}, name_get, NULL, NULL},
    {"array_any", 0, TYPE_BOOL, 3, 3, I, {TYPE_INT8, ELEM, ARR}, array_any, NULL, NULL},
    {"array_all", 0, TYPE_BOOL, 3, 3, I, {TYPE_INT8, ELEM, ARR}, array_all, NULL, NULL},
    {"array_cast", 0, ARR, 3, 3, I | S | FUNCTION_STABLE, {TYPE_INT8, TYPE_OID, ARR}, array_cast,
        NULL, NULL},
    {"array_to_string", 395, T, 2, 2, S | FUNCTION_STABLE, {ARR, T}, array_to_string, NULL, NULL},
    {"array_to_string", 384, T, 3, 3, FUNCTION_STABLE, {ARR, T, T}, array_to_string, NULL, NULL},
    {"string_to_array", 394, 1009, 2, 2, 0, {T, T}, string_to_array, NULL, NULL},
    {"string_to_array", 376, 1009, 3, 3, 0, {T, T, T}, string_to_array, NULL, NULL},
    {"array_length", 2176, I4, 2, 2, S, {ARR, I4}, array_length, NULL, NULL},
    {"array_lower", 2091, I4, 2, 2, S, {ARR, I4}, array_lower, NULL, NULL},
    {"array_upper", 2092, I4, 2, 2, S, {ARR, I4}, array_upper, NULL, NULL},
    {"array_ndims", 748, I4, 1, 1, S, {ARR}, array_ndims, NULL, NULL},
    {"array_dims", 747, T, 1, 1, S, {ARR}, array_dims, NULL, NULL},
    {"cardinality", 3179, I4, 1, 1, S, {ARR}, cardinality, NULL, NULL},
    {"array_append", 378, ARR, 2, 2, FUNCTION_ELEMENT, {ARR, ELEM}, array_append, NULL, NULL},
    {"array_prepend", 379, ARR, 2, 2, FUNCTION_ELEMENT, {ELEM, ARR}, array_prepend, NULL, NULL},
    {"array_cat", 383, ARR, 2, 2, 0, {ARR, ARR}, array_cat, NULL, NULL},
    {"array_position", 3277, I4, 2, 2, 0, {ARR, ELEM}, array_position, NULL, NULL},
    {"array_remove", 3167, ARR, 2, 2, 0, {ARR, ELEM}, array_remove, NULL, NULL},
    {"array_positions", 3279, 1007, 2, 2, 0, {ARR, ELEM}, array_positions, NULL, NULL},
    {"array_replace", 3168, ARR, 3, 3, 0, {ARR, ELEM, ELEM}, array_replace, NULL, NULL},
    {"trim_array", 6172, ARR, 2, 2, S, {ARR, I4}, trim_array, NULL, NULL},
    {"array_fill", 1193, ARR, 2, 2, FUNCTION_ELEMENT, {ELEM, 1007}, array_fill, NULL, NULL},
    {"array_fill", 1286, ARR, 3, 3, FUNCTION_ELEMENT, {ELEM, 1007, 1007}, array_fill, NULL, NULL},
    {"unnest", 2331, ELEM, 1, 1, FUNCTION_SET, {ARR}, NULL, NULL, &unnest},
    {"generate_subscripts", 1192, I4, 2, 2, FUNCTION_SET, {ARR, I4}, NULL, NULL,
        &generate_subscripts},
    {"array_agg", 2335, ARR, 1, 1, FUNCTION_AGGREGATE | FUNCTION_ELEMENT, {TYPE_ANYNONARRAY}, NULL,
        &array_agg, NULL},
    {"array_agg", 4053, ARR, 1, 1, FUNCTION_AGGREGATE, {ARR}, NULL, &arrays_agg, NULL},
};

static const struct operator_row operators[] = {
    {"=", "array_eq", ARR, ARR, TYPE_BOOL, array_eq, "=", "<>", 0},
    {"<>", "array_ne", ARR, ARR, TYPE_BOOL, array_ne, "<>", "=", 0},
    {"<", "array_lt", ARR, ARR, TYPE_BOOL, array_lt, ">", ">=", 0},
    {"<=", "array_le", ARR, ARR, TYPE_BOOL, array_le, ">=", ">", 0},
    {">", "array_gt", ARR, ARR, TYPE_BOOL, array_gt, "<", "<=", 0},
    {">=", "array_ge", ARR, ARR, TYPE_BOOL, array_ge, "<=", "<", 0},
    {"@>", "arraycontains", ARR, ARR, TYPE_BOOL, array_contains, "<@", NULL, 0},
    {"<@", "arraycontained", ARR, ARR, TYPE_BOOL, array_contained, "@>", NULL, 0},
    {"&&", "arrayoverlap", ARR, ARR, TYPE_BOOL, array_overlap, "&&", NULL, 0},
};

const struct function_rows array_rows = {ROWS(functions), ROWS(operators), NULL, 0};
