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

int
parser__keyword_find(const char *word, uint32_t size)
{
    if (size < 2 || size > WORD_MAX) {
        return -1;
    }
    char folded[24] = {0};
    for (uint32_t i = 0; i < size; i++) {
        char c = word[i];
        folded[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    uint64_t first;
    uint64_t last;
    memcpy(&first, folded, sizeof first);
    memcpy(&last, size <= 8 ? folded : folded + size - 8, sizeof last);
    uint64_t mixed = ((first ^ (last << 1 | last >> 63)) + size) * 0x9E3779B97F4A7C15ULL;
    for (uint32_t slot = (uint32_t)(mixed >> 54);; slot = (slot + 1) % SLOT_COUNT) {
        if (slots[slot] == 0) {
            return -1;
        }
        int index = slots[slot] - 1;
        if (sizes[index] == size && memcmp(keywords[index].word, folded, size) == 0) {
            return index;
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
