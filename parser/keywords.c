#include <string.h>

#include "base/assert.h"
#include "parser/grammar.h"
#include "parser/parser_internal.h"

#include "parser/keywords.inc"

/*
 * A closed table with linear probing, made by tools/keywords.py; both sides mix the same way. Words
 * are found as written: the letters are folded while they are loaded.
 */

enum {
    WORD_MAX = 17, /* current_timestamp */
    SLOT_COUNT = 1024,
};

#define KEYWORD_ROW(word, class, bare, token) {word, class, bare},
static const struct parser_keyword keywords[] = {KEYWORDS(KEYWORD_ROW)};

#define KEYWORD_TOKEN(word, class, bare, token) token,
static const uint16_t tokens[] = {KEYWORDS(KEYWORD_TOKEN)};

#define KEYWORD_SIZE(word, class, bare, token) sizeof(word) - 1,
static const uint8_t sizes[] = {KEYWORDS(KEYWORD_SIZE)};

static const uint16_t slots[SLOT_COUNT] = {KEYWORD_SLOTS};

/* first and last eight bytes of each word: with its length, all of it but the middle of a word of
 * seventeen */
static const uint64_t parts[][2] = {KEYWORD_PARTS};

/* Upper case letters to lower case in eight bytes at once; other bytes stay. */
static inline uint64_t
fold(uint64_t bytes)
{
    const uint64_t each = 0x0101010101010101ULL;
    uint64_t low = bytes & (0x7F * each);
    uint64_t above_z = low + (0x7F - 'Z') * each;
    uint64_t from_a = low + (0x80 - 'A') * each;
    return bytes | ((~bytes & (0x80 * each) & (from_a ^ above_z)) >> 2);
}

int
parser__keyword_find(const char *word, uint32_t size)
{
    if (size < 2 || size > WORD_MAX) {
        return -1;
    }
    uint64_t first = 0;
    uint64_t last = 0;
    if (size >= 8) {
        memcpy(&first, word, 8);
        memcpy(&last, word + size - 8, 8);
        first = fold(first);
        last = fold(last);
    } else if (size >= 4) {
        uint32_t low;
        uint32_t high;
        memcpy(&low, word, 4);
        memcpy(&high, word + size - 4, 4);
        first = last = fold(low | (uint64_t)high << (8 * (size - 4)));
    } else {
        uint64_t bytes = (uint8_t)word[0] | (uint64_t)(uint8_t)word[1] << 8;
        first = last = fold(bytes | (uint64_t)(uint8_t)word[size - 1] << (8 * (size - 1)));
    }
    uint64_t mixed = ((first ^ (last << 1 | last >> 63)) + size) * 0x9E3779B97F4A7C15ULL;
    for (uint32_t slot = (uint32_t)(mixed >> 54);; slot = (slot + 1) % SLOT_COUNT) {
        if (slots[slot] == 0) {
            return -1;
        }
        int index = slots[slot] - 1;
        if (parts[index][0] == first && parts[index][1] == last && sizes[index] == size) {
            return size <= 16 || (word[8] | 0x20) == keywords[index].word[8] ? index : -1;
        }
    }
}

int
parser__keyword_token(int index)
{
    ASSERT(index >= 0 && (size_t)index < sizeof tokens / sizeof tokens[0]);
    return tokens[index];
}

const struct parser_keyword *
parser_keywords(size_t *count)
{
    *count = sizeof keywords / sizeof keywords[0];
    return keywords;
}

enum parser_keyword_class
parser_keyword_class(const char *word, size_t size)
{
    int index = size > WORD_MAX ? -1 : parser__keyword_find(word, (uint32_t)size);
    return index < 0 ? PARSER_NOT_A_KEYWORD : keywords[index].class;
}

static bool
needs_quotes(const char *name)
{
    size_t size = strlen(name);
    if (!((name[0] >= 'a' && name[0] <= 'z') || name[0] == '_')) {
        return true;
    }
    for (size_t i = 1; i < size; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) {
            return true;
        }
    }
    enum parser_keyword_class class = parser_keyword_class(name, size);
    return class != PARSER_NOT_A_KEYWORD && class != PARSER_UNRESERVED;
}

char *
parser_quote_ident(struct arena *arena, const char *name)
{
    if (!needs_quotes(name)) {
        return arena_strdup(arena, name);
    }
    char *quoted = arena_alloc_raw(arena, 2 * strlen(name) + 3);
    char *to = quoted;
    *to++ = '"';
    for (; *name != '\0'; name++) {
        if (*name == '"') {
            *to++ = '"';
        }
        *to++ = *name;
    }
    *to++ = '"';
    *to = '\0';
    return quoted;
}

char *
parser_quote_literal(struct arena *arena, const char *text, size_t size)
{
    char *quoted = arena_alloc_raw(arena, 2 * size + 5);
    char *to = quoted;
    if (memchr(text, '\\', size) != NULL) {
        *to++ = ' '; /* so that it may stand right behind a word */
        *to++ = 'E';
    }
    *to++ = '\'';
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\'' || text[i] == '\\') {
            *to++ = text[i];
        }
        *to++ = text[i];
    }
    *to++ = '\'';
    *to = '\0';
    return quoted;
}
