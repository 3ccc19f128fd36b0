/*
 * sql/value/regex.c - regular expressions, by PCRE2.
 *
 * PostgreSQL's advanced regular expressions and PCRE's differ in a few escapes, which translate()
 * rewrites, in options (. matches a newline, $ only the very end), and in what a choice prefers:
 * there the longest alternative, here the first that fits.
 *
 * Compiled patterns are kept in a table shared by all workers. An entry in use is pinned, so that
 * nobody throws it away; compiled code itself is immutable. The latch covers the table only.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/latch.h"
#include "base/mem.h"
#include "parser/scanner.h"
#include "sql/value/array.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

enum {
    CACHE_COUNT = 64,
    CACHED_SIZE_MAX = 4096, /* longer patterns are compiled each time */
    MATCH_LIMIT = 5000000,
    HEAP_LIMIT_KB = 32768,
};

/* ---- compiling --------------------------------------------------------------------------- */

struct cached {
    uint64_t hash;
    uint8_t *pattern;
    size_t size;
    uint32_t options;
    pcre2_code *code;
    uint32_t pins;
    uint64_t used; /* the clock's time when last */
};

static struct latch latch;
static struct cached cache[CACHE_COUNT]; /* under latch */
static uint64_t cache_clock;

struct regex {
    pcre2_code *code;
    struct cached *cached; /* NULL: code is our own */
    pcre2_match_data *data;
    pcre2_match_context *context;
};

/* The escapes that mean something else to PCRE; the rest as it is. */
static void
translate(struct slice pattern, struct buffer *to)
{
    bool bracket = false;
    size_t bracket_start = 0;
    for (size_t i = 0; i < pattern.size; i++) {
        uint8_t c = pattern.data[i];
        uint8_t next = i + 1 < pattern.size ? pattern.data[i + 1] : 0;
        if (bracket) {
            if (c == '[' && (next == ':' || next == '.' || next == '=')) {
                /* A class: up to its end. */
                size_t end = i + 2;
                while (end + 1 < pattern.size &&
                       !(pattern.data[end] == next && pattern.data[end + 1] == ']')) {
                    end++;
                }
                end = end + 2 < pattern.size ? end + 2 : pattern.size;
                buffer_add(to, pattern.data + i, end - i);
                i = end - 1;
                continue;
            }
            bracket = !(c == ']' && i > bracket_start);
            buffer_add_u8(to, c);
            if (c == '\\' && next != 0) {
                buffer_add_u8(to, next);
                i++;
            }
            continue;
        }
        if (c == '[') {
            bool word_edge = i + 6 < pattern.size && next == '[' && pattern.data[i + 2] == ':' &&
                             (pattern.data[i + 3] == '<' || pattern.data[i + 3] == '>');
            if (!word_edge) {
                bracket = true;
                bracket_start = i + (next == '^' ? 2 : 1);
                buffer_add_u8(to, c);
                if (next == '^') {
                    buffer_add_u8(to, next);
                    i++;
                }
                continue;
            }
            buffer_add(to, pattern.data + i, 7);
            i += 6;
            continue;
        }
        if (c != '\\' || next == 0) {
            buffer_add_u8(to, c);
            continue;
        }
        i++;
        switch (next) {
        case 'y':
            buffer_add_text(to, "\\b");
            break;
        case 'Y':
            buffer_add_text(to, "\\B");
            break;
        case 'm':
            buffer_add_text(to, "[[:<:]]");
            break;
        case 'M':
            buffer_add_text(to, "[[:>:]]");
            break;
        case 'Z':
            buffer_add_text(to, "\\z");
            break;
        case 'B':
            buffer_add_text(to, "\\\\");
            break;
        case 'b':
            buffer_add_text(to, "\\x08");
            break;
        default:
            buffer_add_u8(to, c);
            buffer_add_u8(to, next);
        }
    }
}

/* PCRE's errors in PostgreSQL's words. */
static const char *
error_words(int error, char *memory, size_t size)
{
    switch (error) {
    case PCRE2_ERROR_MISSING_CLOSING_PARENTHESIS:
    case PCRE2_ERROR_UNMATCHED_CLOSING_PARENTHESIS:
        return "parentheses () not balanced";
    case PCRE2_ERROR_MISSING_SQUARE_BRACKET:
        return "brackets [] not balanced";
    case PCRE2_ERROR_QUANTIFIER_INVALID:
        return "quantifier operand invalid";
    case PCRE2_ERROR_CLASS_RANGE_ORDER:
    case PCRE2_ERROR_CLASS_INVALID_RANGE:
        return "invalid character range";
    case PCRE2_ERROR_UNKNOWN_POSIX_CLASS:
        return "invalid character class";
    case PCRE2_ERROR_QUANTIFIER_OUT_OF_ORDER:
    case PCRE2_ERROR_QUANTIFIER_TOO_BIG:
        return "invalid repetition count(s)";
    case PCRE2_ERROR_END_BACKSLASH:
    case PCRE2_ERROR_UNKNOWN_ESCAPE:
        return "invalid escape \\ sequence";
    case PCRE2_ERROR_BAD_SUBPATTERN_REFERENCE:
        return "invalid backreference number";
    default:
        (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)memory, size);
        return memory;
    }
}

static enum err
compile(struct eval *eval, struct slice pattern, uint32_t options, pcre2_code **code)
{
    int error = 0;
    PCRE2_SIZE at = 0;
    struct buffer own = {0};
    if ((options & PCRE2_LITERAL) == 0) {
        translate(pattern, &own);
    } else {
        buffer_add(&own, pattern.data, pattern.size);
    }
    *code = pcre2_compile(own.data == NULL ? (const uint8_t *)"" : own.data, own.size,
        PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | options, &error, &at, NULL);
    buffer_destroy(&own);
    if (*code == NULL) {
        char memory[128];
        return diag_set(eval->diag, ERR_INVALID_REGEX, "invalid regular expression: %s",
            error_words(error, memory, sizeof memory));
    }
    return ERR_OK;
}

static struct cached *
cache_find(struct slice pattern, uint32_t options, uint64_t hash)
{
    struct cached *found = NULL;
    latch_acquire(&latch);
    for (size_t i = 0; i < CACHE_COUNT && found == NULL; i++) {
        struct cached *entry = &cache[i];
        if (entry->code != NULL && entry->hash == hash && entry->options == options &&
            slice_equal(slice_of(entry->pattern, entry->size), pattern)) {
            entry->pins++;
            entry->used = ++cache_clock;
            found = entry;
        }
    }
    latch_release(&latch);
    return found;
}

/* Pinned; NULL if every entry is in use. */
static struct cached *
cache_add(struct slice pattern, uint32_t options, uint64_t hash, pcre2_code *code)
{
    struct cached *oldest = NULL;
    struct cached old = {0};
    latch_acquire(&latch);
    for (size_t i = 0; i < CACHE_COUNT; i++) {
        if (cache[i].pins == 0 && (oldest == NULL || cache[i].used < oldest->used)) {
            oldest = &cache[i];
        }
    }
    if (oldest != NULL) {
        old = *oldest;
        *oldest = (struct cached){.hash = hash,
            .pattern = mem_alloc(pattern.size),
            .size = pattern.size,
            .options = options,
            .code = code,
            .pins = 1,
            .used = ++cache_clock};
        if (pattern.size > 0) {
            memcpy(oldest->pattern, pattern.data, pattern.size);
        }
    }
    latch_release(&latch);
    mem_free(old.pattern);
    pcre2_code_free(old.code);
    return oldest;
}

/* To be matched against this text. */
static enum err
regex_open(struct eval *eval, struct slice pattern, uint32_t options, struct slice text,
    struct regex *regex)
{
    *regex = (struct regex){0};
    /* Matching trusts the text; a "char" may hold half a character. */
    size_t bad = text.size == 0 ? 0 : utf8_invalid_at((const char *)text.data, text.size);
    if (bad < text.size) {
        return diag_set(eval->diag, ERR_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x%02x", text.data[bad]);
    }
    bool keep = pattern.size <= CACHED_SIZE_MAX;
    uint64_t hash = keep ? hash64(pattern.data, pattern.size, options) : 0;
    regex->cached = keep ? cache_find(pattern, options, hash) : NULL;
    if (regex->cached != NULL) {
        regex->code = regex->cached->code;
    } else {
        TRY(compile(eval, pattern, options, &regex->code));
        regex->cached = keep ? cache_add(pattern, options, hash, regex->code) : NULL;
    }
    regex->data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    regex->context = pcre2_match_context_create(NULL);
    ASSERT(regex->data != NULL && regex->context != NULL);
    (void)pcre2_set_match_limit(regex->context, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(regex->context, HEAP_LIMIT_KB);
    return ERR_OK;
}

static void
regex_close(struct regex *regex)
{
    pcre2_match_data_free(regex->data);
    pcre2_match_context_free(regex->context);
    if (regex->cached != NULL) {
        latch_acquire(&latch);
        regex->cached->pins--;
        latch_release(&latch);
    } else {
        pcre2_code_free(regex->code);
    }
}

/* ---- matching ---------------------------------------------------------------------------- */

/* *found; the places are in regex->data. */
static enum err
regex_match(struct eval *eval, struct regex *regex, struct slice text, size_t from, bool *found)
{
    int matched = pcre2_match(regex->code, text.data == NULL ? (const uint8_t *)"" : text.data,
        text.size, from, PCRE2_NO_UTF_CHECK, regex->data, regex->context);
    *found = matched > 0;
    if (matched < 0 && matched != PCRE2_ERROR_NOMATCH) {
        return diag_set(
            eval->diag, ERR_PROGRAM_LIMIT, "regular expression is too complex for this text");
    }
    return ERR_OK;
}

static const PCRE2_SIZE *
places_of(const struct regex *regex)
{
    return pcre2_get_ovector_pointer(regex->data);
}

static uint32_t
group_count(const struct regex *regex)
{
    return pcre2_get_ovector_count(regex->data) - 1;
}

static size_t
step_of(struct slice text, size_t at)
{
    size_t end = at + 1;
    while (end < text.size && (text.data[end] & 0xC0) == 0x80) {
        end++;
    }
    return end - at;
}

/* Of the n-th character, from 1; behind the end there is nothing to be found, not even nothing. */
static size_t
offset_of(struct slice text, int64_t n)
{
    return (uint64_t)(n - 1) > utf8_length(text) ? text.size + 1
                                                 : utf8_offset(text, (size_t)(n - 1));
}

/* Where to look for the next match. */
static size_t
after_match(const struct regex *regex, struct slice text)
{
    const PCRE2_SIZE *places = places_of(regex);
    return places[1] > places[0] ? places[1] : places[1] + step_of(text, places[1]);
}

#define OPTIONS_PLAIN (PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY)

/* Letters after the pattern: i, n, g.. global may be NULL: not allowed (function names it). */
static enum err
read_flags(
    struct eval *eval, struct slice flags, const char *function, uint32_t *options, bool *global)
{
    *options = OPTIONS_PLAIN;
    for (size_t i = 0; i < flags.size; i++) {
        switch (flags.data[i]) {
        case 'g':
            if (global == NULL) {
                return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                    "%s does not support the \"global\" option", function);
            }
            *global = true;
            break;
        case 'i':
            *options |= PCRE2_CASELESS;
            break;
        case 'c':
            *options &= ~(uint32_t)PCRE2_CASELESS;
            break;
        case 'n':
        case 'm':
            *options = (*options | PCRE2_MULTILINE) & ~(uint32_t)PCRE2_DOTALL;
            break;
        case 'p':
            *options &= ~(uint32_t)PCRE2_DOTALL;
            break;
        case 'w':
            *options |= PCRE2_MULTILINE | PCRE2_DOTALL;
            break;
        case 's':
            *options = (*options | PCRE2_DOTALL) & ~(uint32_t)PCRE2_MULTILINE;
            break;
        case 'x':
            *options |= PCRE2_EXTENDED;
            break;
        case 't':
        case 'e':
            break;
        case 'q':
            /* Literals take no other option but this. */
            *options = PCRE2_LITERAL | (*options & PCRE2_CASELESS);
            break;
        default:
            return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                "invalid regular expression option: \"%.*s\"", (int)step_of(flags, i),
                (const char *)flags.data + i);
        }
    }
    return ERR_OK;
}

static enum err
matches(struct eval *eval, const struct datum *args, uint32_t options, bool negate,
    struct datum *result)
{
    struct regex regex;
    bool found = false;
    TRY(regex_open(eval, datum_slice(args[1]), options, datum_slice(args[0]), &regex));
    enum err err = regex_match(eval, &regex, datum_slice(args[0]), 0, &found);
    regex_close(&regex);
    *result = datum_bool(found != negate);
    return err;
}

FN(text_regex)
{
    UNUSED_COUNT;
    return matches(eval, args, OPTIONS_PLAIN, false, result);
}
FN(text_not_regex)
{
    UNUSED_COUNT;
    return matches(eval, args, OPTIONS_PLAIN, true, result);
}
FN(text_iregex)
{
    UNUSED_COUNT;
    return matches(eval, args, OPTIONS_PLAIN | PCRE2_CASELESS, false, result);
}
FN(text_not_iregex)
{
    UNUSED_COUNT;
    return matches(eval, args, OPTIONS_PLAIN | PCRE2_CASELESS, true, result);
}

FN(regexp_like)
{
    uint32_t options = OPTIONS_PLAIN;
    if (count > 2) {
        TRY(read_flags(eval, datum_slice(args[2]), "regexp_like()", &options, NULL));
    }
    return matches(eval, args, options, false, result);
}

/* ---- replacing --------------------------------------------------------------------------- */

/* The replacement with \1..\9, \& and \\ filled in. */
static void
add_replacement(struct buffer *out, const struct regex *regex, struct slice text, struct slice with)
{
    const PCRE2_SIZE *places = places_of(regex);
    for (size_t i = 0; i < with.size; i++) {
        uint8_t c = with.data[i];
        uint8_t next = c == '\\' && i + 1 < with.size ? with.data[i + 1] : 0;
        uint32_t group = next == '&' ? 0 : (uint32_t)next - '0';
        if (next == '&' || (next >= '1' && next <= '9')) {
            if (group <= group_count(regex) && places[2 * group] != PCRE2_UNSET) {
                buffer_add(
                    out, text.data + places[2 * group], places[2 * group + 1] - places[2 * group]);
            }
            i++;
        } else {
            buffer_add_u8(out, c);
            i += next == '\\' ? 1 : 0;
        }
    }
}

/* From the character `start` on, the n-th match, or all if n is 0. */
static enum err
replace(struct eval *eval, const struct datum *args, uint32_t options, int64_t start, int64_t n,
    struct datum *result)
{
    struct slice text = datum_slice(args[0]);
    struct regex regex;
    struct buffer out = {0};
    bool found = true;
    TRY(regex_open(eval, datum_slice(args[1]), options, datum_slice(args[0]), &regex));
    size_t from = offset_of(text, start);
    size_t copied = 0;
    int64_t seen = 0;
    enum err err = ERR_OK;
    while (from <= text.size && (n == 0 || seen < n)) {
        err = regex_match(eval, &regex, text, from, &found);
        if (err != ERR_OK || !found) {
            break;
        }
        const PCRE2_SIZE *places = places_of(&regex);
        seen++;
        if (n == 0 || seen == n) {
            buffer_add(&out, text.data + copied, places[0] - copied);
            add_replacement(&out, &regex, text, datum_slice(args[2]));
            copied = places[1];
        }
        from = after_match(&regex, text);
    }
    if (copied < text.size) {
        buffer_add(&out, text.data + copied, text.size - copied);
    }
    *result = value__bytes(eval, out.data, out.size);
    buffer_destroy(&out);
    regex_close(&regex);
    return err;
}

FN(regexp_replace)
{
    bool global = false;
    uint32_t options = OPTIONS_PLAIN;
    if (count > 3) {
        struct slice flags = datum_slice(args[3]);
        if (flags.size > 0 && flags.data[0] >= '0' && flags.data[0] <= '9') {
            enum err err = diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                "invalid regular expression option: \"%.*s\"", (int)step_of(flags, 0),
                (const char *)flags.data);
            diag_hint(eval->diag, "If you meant to use regexp_replace() with a start parameter, "
                                  "cast the fourth argument to integer explicitly.");
            return err;
        }
        TRY(read_flags(eval, flags, "regexp_replace()", &options, &global));
    }
    return replace(eval, args, options, 1, global ? 0 : 1, result);
}

static enum err
check_least(struct eval *eval, const char *name, int64_t value, int64_t least)
{
    return value >= least ? ERR_OK
                          : diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                                "invalid value for parameter \"%s\": %lld", name, (long long)value);
}

/* regexp_replace(text, pattern, with, start [, n [, flags]]) */
FN(regexp_replace_from)
{
    uint32_t options = OPTIONS_PLAIN;
    bool global = false;
    TRY(check_least(eval, "start", args[3].i, 1));
    if (count > 4) {
        TRY(check_least(eval, "n", args[4].i, 0));
    }
    if (count > 5) {
        TRY(read_flags(eval, datum_slice(args[5]), "regexp_replace()", &options, &global));
    }
    return replace(eval, args, options, args[3].i, count > 4 ? args[4].i : 1, result);
}

/* ---- counting, finding ------------------------------------------------------------------- */

/* The n-th match from character `start` on. */
static enum err
find_nth(struct eval *eval, struct regex *regex, struct slice text, int64_t start, int64_t n,
    bool *found)
{
    size_t from = offset_of(text, start);
    *found = false;
    for (int64_t seen = 0; seen < n && from <= text.size; seen++) {
        TRY(regex_match(eval, regex, text, from, found));
        if (!*found) {
            return ERR_OK;
        }
        if (seen + 1 < n) {
            *found = false;
            from = after_match(regex, text);
        }
    }
    return ERR_OK;
}

FN(regexp_count)
{
    uint32_t options = OPTIONS_PLAIN;
    struct slice text = datum_slice(args[0]);
    int64_t matched = 0;
    if (count > 2) {
        TRY(check_least(eval, "start", args[2].i, 1));
    }
    if (count > 3) {
        TRY(read_flags(eval, datum_slice(args[3]), "regexp_count()", &options, NULL));
    }
    struct regex regex;
    TRY(regex_open(eval, datum_slice(args[1]), options, datum_slice(args[0]), &regex));
    size_t from = count > 2 ? offset_of(text, args[2].i) : 0;
    bool found = false;
    enum err err = ERR_OK;
    while (from <= text.size) {
        err = regex_match(eval, &regex, text, from, &found);
        if (err != ERR_OK || !found) {
            break;
        }
        matched++;
        from = after_match(&regex, text);
    }
    regex_close(&regex);
    *result = datum_int(matched);
    return err;
}

/* regexp_instr(text, pattern, start, n, end option, flags, group) */
FN(regexp_instr)
{
    uint32_t options = OPTIONS_PLAIN;
    struct slice text = datum_slice(args[0]);
    int64_t start = count > 2 ? args[2].i : 1;
    int64_t n = count > 3 ? args[3].i : 1;
    int64_t end = count > 4 ? args[4].i : 0;
    int64_t group = count > 6 ? args[6].i : 0;
    TRY(check_least(eval, "start", start, 1));
    TRY(check_least(eval, "n", n, 1));
    if (end != 0 && end != 1) {
        return check_least(eval, "endoption", end, INT64_MAX);
    }
    TRY(check_least(eval, "subexpr", group, 0));
    if (count > 5) {
        TRY(read_flags(eval, datum_slice(args[5]), "regexp_instr()", &options, NULL));
    }
    struct regex regex;
    bool found = false;
    TRY(regex_open(eval, datum_slice(args[1]), options, datum_slice(args[0]), &regex));
    enum err err = find_nth(eval, &regex, text, start, n, &found);
    *result = datum_int(0);
    if (found && group <= group_count(&regex)) {
        PCRE2_SIZE place = places_of(&regex)[2 * group + end];
        if (place != PCRE2_UNSET) {
            result->i = (int64_t)utf8_length(slice_of(text.data, place)) + 1;
        }
    }
    regex_close(&regex);
    return err;
}

static enum err
substring_match(struct eval *eval, struct slice text, struct slice pattern, uint32_t options,
    int64_t start, int64_t n, int64_t group, bool first_group, struct datum *result)
{
    struct regex regex;
    bool found = false;
    TRY(regex_open(eval, pattern, options, text, &regex));
    enum err err = find_nth(eval, &regex, text, start, n, &found);
    if (first_group && group_count(&regex) > 0) {
        group = 1;
    }
    *result = datum_null();
    if (found && group <= group_count(&regex) && places_of(&regex)[2 * group] != PCRE2_UNSET) {
        const PCRE2_SIZE *places = places_of(&regex) + 2 * group;
        *result = value__bytes(eval, text.data + places[0], places[1] - places[0]);
    }
    regex_close(&regex);
    return err;
}

/* regexp_substr(text, pattern, start, n, flags, group) */
FN(regexp_substr)
{
    uint32_t options = OPTIONS_PLAIN;
    int64_t start = count > 2 ? args[2].i : 1;
    int64_t n = count > 3 ? args[3].i : 1;
    int64_t group = count > 5 ? args[5].i : 0;
    TRY(check_least(eval, "start", start, 1));
    TRY(check_least(eval, "n", n, 1));
    TRY(check_least(eval, "subexpr", group, 0));
    if (count > 4) {
        TRY(read_flags(eval, datum_slice(args[4]), "regexp_substr()", &options, NULL));
    }
    return substring_match(
        eval, datum_slice(args[0]), datum_slice(args[1]), options, start, n, group, false, result);
}

/* substring(text from pattern): the first group if there is one. */
FN(text_substring_regex)
{
    UNUSED_COUNT;
    return substring_match(
        eval, datum_slice(args[0]), datum_slice(args[1]), OPTIONS_PLAIN, 1, 1, 0, true, result);
}

/* ---- groups as arrays -------------------------------------------------------------------- */

/* What the groups matched, or all of it if there are none; in memory of its own. */
static struct datum
groups_of(struct arena *arena, const struct regex *regex, struct slice text)
{
    struct array_maker maker = {.element = TYPE_TEXT};
    uint32_t groups = group_count(regex);
    for (uint32_t g = groups == 0 ? 0 : 1; g <= groups; g++) {
        const PCRE2_SIZE *places = places_of(regex) + 2 * (size_t)g;
        array__add(&maker, arena,
            places[0] == PCRE2_UNSET ? datum_null()
                                     : datum_bytes(text.data + places[0], places[1] - places[0]));
    }
    return array__make(arena, &maker);
}

FN(regexp_match)
{
    uint32_t options = OPTIONS_PLAIN;
    struct slice text = datum_slice(args[0]);
    struct regex regex;
    bool found = false;
    if (count > 2) {
        TRY(read_flags(eval, datum_slice(args[2]), "regexp_match()", &options, NULL));
    }
    TRY(regex_open(eval, datum_slice(args[1]), options, text, &regex));
    enum err err = regex_match(eval, &regex, text, 0, &found);
    *result = found ? groups_of(eval->arena, &regex, text) : datum_null();
    regex_close(&regex);
    return err;
}

/* ---- SIMILAR TO -------------------------------------------------------------------------- */

/* A pattern of SQL as a regular expression. Two escaped quotes mark the part that substring() is
 * to give. */
static enum err
similar(struct eval *eval, struct slice pattern, struct slice escape, struct buffer *to)
{
    if (utf8_length(escape) > 1) {
        enum err err = diag_set(eval->diag, ERR_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        diag_hint(eval->diag, "Escape string must be empty or one character.");
        return err;
    }
    bool bracket = false;
    int quotes = 0;
    buffer_add_text(to, "^(?:");
    for (size_t i = 0; i < pattern.size; i++) {
        uint8_t c = pattern.data[i];
        bool escaped = escape.size > 0 && pattern.size - i >= escape.size &&
                       memcmp(pattern.data + i, escape.data, escape.size) == 0;
        if (escaped) {
            i += escape.size;
            if (i >= pattern.size) {
                break;
            }
            if (pattern.data[i] == '"' && !bracket) {
                if (quotes == 0) {
                    buffer_add_text(to, "){1,1}?(");
                } else if (quotes == 1) {
                    buffer_add_text(to, "){1,1}(?:");
                } else {
                    return diag_set(eval->diag, ERR_INVALID_ESCAPE_USE,
                        "SQL regular expression may not contain more than two escape-double-quote "
                        "separators");
                }
                quotes++;
                continue;
            }
            buffer_add_u8(to, '\\');
            buffer_add_u8(to, pattern.data[i]);
        } else if (bracket) {
            if (c == '\\') {
                buffer_add_u8(to, '\\');
            }
            bracket = c != ']';
            buffer_add_u8(to, c);
        } else if (c == '[') {
            bracket = true;
            buffer_add_u8(to, c);
        } else if (c == '%') {
            buffer_add_text(to, ".*");
        } else if (c == '_') {
            buffer_add_u8(to, '.');
        } else if (c == '(') {
            buffer_add_text(to, "(?:");
        } else if (c == '\\' || c == '.' || c == '^' || c == '$') {
            buffer_add_u8(to, '\\');
            buffer_add_u8(to, c);
        } else {
            buffer_add_u8(to, c);
        }
    }
    buffer_add_text(to, ")$");
    return ERR_OK;
}

FN(similar_to_escape)
{
    struct buffer out = {0};
    struct slice escape = count > 1 ? datum_slice(args[1]) : slice_of("\\", 1);
    enum err err = similar(eval, datum_slice(args[0]), escape, &out);
    *result = value__bytes(eval, out.data, out.size);
    buffer_destroy(&out);
    return err;
}

/* substring(text from pattern for escape) */
FN(text_substring_similar)
{
    UNUSED_COUNT;
    struct buffer out = {0};
    enum err err = similar(eval, datum_slice(args[1]), datum_slice(args[2]), &out);
    if (err == ERR_OK) {
        err = substring_match(eval, datum_slice(args[0]), slice_of(out.data, out.size),
            OPTIONS_PLAIN, 1, 1, 0, true, result);
    }
    buffer_destroy(&out);
    return err;
}

/* ---- splitting --------------------------------------------------------------------------- */

struct pieces_state {
    struct datum *pieces;
    size_t count, at;
};

struct piece_list {
    struct datum *list;
    size_t count, capacity;
};

static void
add_datum(struct arena *arena, struct piece_list *to, struct datum value)
{
    if (to->count == to->capacity) {
        size_t capacity = to->capacity == 0 ? 16 : 2 * to->capacity;
        struct datum *list = arena_array(arena, capacity, sizeof *list);
        if (to->count > 0) {
            memcpy(list, to->list, to->count * sizeof *list);
        }
        to->list = list;
        to->capacity = capacity;
    }
    to->list[to->count++] = value;
}

static void
add_piece(struct arena *arena, struct piece_list *to, struct slice text, size_t from, size_t end)
{
    add_datum(arena, to, datum_bytes(text.data + from, end - from));
}

static enum err
split_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    struct pieces_state *state = memory;
    uint32_t options = OPTIONS_PLAIN;
    if (args[0].null || args[1].null || (count > 2 && args[2].null)) {
        return ERR_OK;
    }
    if (count > 2) {
        TRY(read_flags(eval, datum_slice(args[2]), "regexp_split_to_table()", &options, NULL));
    }
    struct slice text = datum_slice(value__bytes(eval, args[0].p, args[0].size));
    struct piece_list list = {0};
    struct regex regex;
    TRY(regex_open(eval, datum_slice(args[1]), options, datum_slice(args[0]), &regex));
    size_t from = 0;
    size_t piece = 0;
    bool found = true;
    enum err err = ERR_OK;
    while (from <= text.size) {
        err = regex_match(eval, &regex, text, from, &found);
        if (err != ERR_OK || !found) {
            break;
        }
        const PCRE2_SIZE *places = places_of(&regex);
        /* An empty match splits nothing off at the ends or right behind the last one. */
        bool splits = places[1] > places[0] ? true : places[0] > piece && places[0] < text.size;
        if (splits) {
            add_piece(eval->arena, &list, text, piece, places[0]);
            piece = places[1];
        }
        from = after_match(&regex, text);
    }
    regex_close(&regex);
    add_piece(eval->arena, &list, text, piece, text.size);
    *state = (struct pieces_state){list.list, list.count, 0};
    return err;
}

static enum err
pieces_next(struct eval *eval, void *memory, struct datum *value, bool *done)
{
    (void)eval;
    struct pieces_state *state = memory;
    *done = state->at >= state->count;
    if (!*done) {
        *value = state->pieces[state->at++];
    }
    return ERR_OK;
}

/* regexp_matches: an array for the first match, or with the flag g for each. */
static enum err
matches_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    struct pieces_state *state = memory;
    uint32_t options = OPTIONS_PLAIN;
    bool global = false;
    if (args[0].null || args[1].null || (count > 2 && args[2].null)) {
        return ERR_OK;
    }
    if (count > 2) {
        TRY(read_flags(eval, datum_slice(args[2]), "regexp_matches()", &options, &global));
    }
    struct slice text = datum_slice(args[0]);
    struct piece_list list = {0};
    struct regex regex;
    TRY(regex_open(eval, datum_slice(args[1]), options, text, &regex));
    enum err err = ERR_OK;
    bool found = true;
    for (size_t from = 0; from <= text.size && (global || from == 0);) {
        err = regex_match(eval, &regex, text, from, &found);
        if (err != ERR_OK || !found) {
            break;
        }
        add_datum(eval->arena, &list, groups_of(eval->arena, &regex, text));
        from = after_match(&regex, text);
    }
    regex_close(&regex);
    *state = (struct pieces_state){list.list, global || list.count == 0 ? list.count : 1, 0};
    return err;
}

static const struct set_function regexp_matches = {
    .state_size = sizeof(struct pieces_state), .start = matches_start, .next = pieces_next};

FN(regexp_split_to_array)
{
    struct pieces_state state = {0};
    TRY(split_start(eval, &state, args, count));
    struct array_maker maker = {.element = TYPE_TEXT};
    for (size_t i = 0; i < state.count; i++) {
        array__add(&maker, eval->arena, state.pieces[i]);
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

static const struct set_function regexp_split = {
    .state_size = sizeof(struct pieces_state), .start = split_start, .next = pieces_next};

/* string_to_table(text, delimiter or null [, what is shown as null]) */
static enum err
table_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    struct pieces_state *state = memory;
    struct piece_list list = {0};
    if (args[0].null || args[0].size == 0) {
        return ERR_OK;
    }
    struct slice text = datum_slice(value__bytes(eval, args[0].p, args[0].size));
    size_t piece = 0;
    if (args[1].null) {
        for (size_t at = 0; at < text.size; at += step_of(text, at)) {
            add_piece(eval->arena, &list, text, at, at + step_of(text, at));
        }
    } else {
        struct slice by = datum_slice(args[1]);
        const uint8_t *at = NULL;
        while (by.size > 0 &&
               (at = memmem(text.data + piece, text.size - piece, by.data, by.size)) != NULL) {
            size_t place = (size_t)(at - text.data);
            add_piece(eval->arena, &list, text, piece, place);
            piece = place + by.size;
        }
        add_piece(eval->arena, &list, text, piece, text.size);
    }
    for (size_t i = 0; count > 2 && !args[2].null && i < list.count; i++) {
        if (slice_equal(datum_slice(list.list[i]), datum_slice(args[2]))) {
            list.list[i] = datum_null();
        }
    }
    *state = (struct pieces_state){list.list, list.count, 0};
    return ERR_OK;
}

static const struct set_function string_table = {
    .state_size = sizeof(struct pieces_state), .start = table_start, .next = pieces_next};

#define T  TYPE_TEXT
#define I4 TYPE_INT4
#define S  FUNCTION_STRICT

static const struct function functions[] = {
    {"regexp_replace", 2284, T, 3, 3, S, {T, T, T}, regexp_replace, NULL, NULL},
    {"regexp_replace", 2285, T, 4, 4, S, {T, T, T, T}, regexp_replace, NULL, NULL},
    {"regexp_replace", 6253, T, 4, 4, S, {T, T, T, I4}, regexp_replace_from, NULL, NULL},
    {"regexp_replace", 6252, T, 5, 5, S, {T, T, T, I4, I4}, regexp_replace_from, NULL, NULL},
    {"regexp_replace", 6251, T, 6, 6, S, {T, T, T, I4, I4, T}, regexp_replace_from, NULL, NULL},
    {"regexp_like", 6263, TYPE_BOOL, 2, 2, S, {T, T}, regexp_like, NULL, NULL},
    {"regexp_like", 6264, TYPE_BOOL, 3, 3, S, {T, T, T}, regexp_like, NULL, NULL},
    {"regexp_count", 6254, I4, 2, 2, S, {T, T}, regexp_count, NULL, NULL},
    {"regexp_count", 6255, I4, 3, 3, S, {T, T, I4}, regexp_count, NULL, NULL},
    {"regexp_count", 6256, I4, 4, 4, S, {T, T, I4, T}, regexp_count, NULL, NULL},
    {"regexp_instr", 6257, I4, 2, 2, S, {T, T}, regexp_instr, NULL, NULL},
    {"regexp_instr", 6258, I4, 3, 3, S, {T, T, I4}, regexp_instr, NULL, NULL},
    {"regexp_instr", 6259, I4, 4, 4, S, {T, T, I4, I4}, regexp_instr, NULL, NULL},
    {"regexp_instr", 6260, I4, 5, 5, S, {T, T, I4, I4, I4}, regexp_instr, NULL, NULL},
    {"regexp_instr", 6261, I4, 6, 6, S, {T, T, I4, I4, I4, T}, regexp_instr, NULL, NULL},
    {"regexp_instr", 6262, I4, 7, 7, S, {T, T, I4, I4, I4, T, I4}, regexp_instr, NULL, NULL},
    {"regexp_substr", 6265, T, 2, 2, S, {T, T}, regexp_substr, NULL, NULL},
    {"regexp_substr", 6266, T, 3, 3, S, {T, T, I4}, regexp_substr, NULL, NULL},
    {"regexp_substr", 6267, T, 4, 4, S, {T, T, I4, I4}, regexp_substr, NULL, NULL},
    {"regexp_substr", 6268, T, 5, 5, S, {T, T, I4, I4, T}, regexp_substr, NULL, NULL},
    {"regexp_substr", 6269, T, 6, 6, S, {T, T, I4, I4, T, I4}, regexp_substr, NULL, NULL},
    {"regexp_match", 3396, 1009, 2, 2, S, {T, T}, regexp_match, NULL, NULL},
    {"regexp_match", 3397, 1009, 3, 3, S, {T, T, T}, regexp_match, NULL, NULL},
    {"regexp_matches", 2763, 1009, 2, 2, FUNCTION_SET, {T, T}, NULL, NULL, &regexp_matches},
    {"regexp_matches", 2764, 1009, 3, 3, FUNCTION_SET, {T, T, T}, NULL, NULL, &regexp_matches},
    {"regexp_split_to_array", 2767, 1009, 2, 2, S, {T, T}, regexp_split_to_array, NULL, NULL},
    {"regexp_split_to_array", 2768, 1009, 3, 3, S, {T, T, T}, regexp_split_to_array, NULL, NULL},
    {"substring", 2073, T, 2, 2, S, {T, T}, text_substring_regex, NULL, NULL},
    {"substring", 2074, T, 3, 3, S, {T, T, T}, text_substring_similar, NULL, NULL},
    {"similar_to_escape", 1987, T, 1, 1, S, {T}, similar_to_escape, NULL, NULL},
    {"similar_to_escape", 1986, T, 2, 2, S, {T, T}, similar_to_escape, NULL, NULL},
    {"regexp_split_to_table", 2765, T, 2, 2, FUNCTION_SET, {T, T}, NULL, NULL, &regexp_split},
    {"regexp_split_to_table", 2766, T, 3, 3, FUNCTION_SET, {T, T, T}, NULL, NULL, &regexp_split},
    {"string_to_table", 6160, T, 2, 2, FUNCTION_SET, {T, T}, NULL, NULL, &string_table},
    {"string_to_table", 6161, T, 3, 3, FUNCTION_SET, {T, T, T}, NULL, NULL, &string_table},
};

static const struct operator_row operators[] = {
    {"~", "textregexeq", T, T, TYPE_BOOL, text_regex, NULL, "!~", 0},
    {"!~", "textregexne", T, T, TYPE_BOOL, text_not_regex, NULL, "~", 0},
    {"~*", "texticregexeq", T, T, TYPE_BOOL, text_iregex, NULL, "!~*", 0},
    {"!~*", "texticregexne", T, T, TYPE_BOOL, text_not_iregex, NULL, "~*", 0},
};

const struct function_rows regex_rows = {ROWS(functions), ROWS(operators), NULL, 0};
