#include "parser/scanner.h"

#include <string.h>

#include "base/assert.h"

/*
 * A token's kind follows from its first character; the table below says which. The rules that
 * surprise:
 *
 *   - An operator is the longest run of operator characters, but stops before a comment, and gives
 *     back trailing + and - unless it holds a character that only our longer operators have. So
 *     "a*-1" is a * -1 while "a@-1" is the operator @-.
 *   - 'x' followed by blanks with a newline in them and another ' goes on as one string.
 *   - A number directly followed by a letter is an error, not two tokens.
 */

enum char_class {
    C_OTHER,
    C_SPACE,
    C_LETTER, /* also _ and every byte above 127 */
    C_DIGIT,
    C_OPERATOR, /* ~ ! @ # ^ & | ` ? + - * / % < > = */
    C_SELF,     /* , ( ) [ ] ; */
    C_QUOTE,
    C_DOUBLE_QUOTE,
    C_DOLLAR,
    C_DOT,
    C_COLON,
};

static const uint8_t classes[256] = {
    [' '] = C_SPACE,
    ['\t'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\r'] = C_SPACE,
    ['\f'] = C_SPACE,
    ['a' ... 'z'] = C_LETTER,
    ['A' ... 'Z'] = C_LETTER,
    ['_'] = C_LETTER,
    [128 ... 255] = C_LETTER,
    ['0' ... '9'] = C_DIGIT,
    ['~'] = C_OPERATOR,
    ['!'] = C_OPERATOR,
    ['@'] = C_OPERATOR,
    ['#'] = C_OPERATOR,
    ['^'] = C_OPERATOR,
    ['&'] = C_OPERATOR,
    ['|'] = C_OPERATOR,
    ['`'] = C_OPERATOR,
    ['?'] = C_OPERATOR,
    ['+'] = C_OPERATOR,
    ['-'] = C_OPERATOR,
    ['*'] = C_OPERATOR,
    ['/'] = C_OPERATOR,
    ['%'] = C_OPERATOR,
    ['<'] = C_OPERATOR,
    ['>'] = C_OPERATOR,
    ['='] = C_OPERATOR,
    [','] = C_SELF,
    ['('] = C_SELF,
    [')'] = C_SELF,
    ['['] = C_SELF,
    [']'] = C_SELF,
    [';'] = C_SELF,
    ['\''] = C_QUOTE,
    ['"'] = C_DOUBLE_QUOTE,
    ['$'] = C_DOLLAR,
    ['.'] = C_DOT,
    [':'] = C_COLON,
};

static inline enum char_class
class_at(const struct scanner *scanner, uint32_t at)
{
    return at < scanner->size ? (enum char_class)classes[(uint8_t)scanner->text[at]] : C_OTHER;
}

static inline char
char_at(const struct scanner *scanner, uint32_t at)
{
    return at < scanner->size ? scanner->text[at] : '\0';
}

void
scanner_create(struct scanner *scanner, const char *text, size_t size)
{
    ASSERT(size <= INT32_MAX);
    *scanner = (struct scanner){.text = text, .size = (uint32_t)size};
}

static void
fail(struct scanner *scanner, struct scan_token *token, enum scan_error error, uint32_t end)
{
    token->kind = SCAN_ERROR;
    token->error = error;
    token->end = end;
    scanner->at = end;
}

static void
finish(struct scanner *scanner, struct scan_token *token, enum scan_kind kind, uint32_t end)
{
    token->kind = kind;
    token->end = end;
    scanner->at = end;
}

/* From the slash of a comment to behind it; nested comments count. False: it never ends. */
static bool
skip_comment(const struct scanner *scanner, uint32_t *at)
{
    uint32_t i = *at + 2;
    uint32_t depth = 1;
    while (i + 1 < scanner->size) {
        char a = scanner->text[i];
        char b = scanner->text[i + 1];
        if (a == '*' && b == '/') {
            i += 2;
            if (--depth == 0) {
                *at = i;
                return true;
            }
        } else if (a == '/' && b == '*') {
            i += 2;
            depth++;
        } else {
            i++;
        }
    }
    *at = scanner->size;
    return false;
}

/* Blanks and comments. False: a comment never ends; *at is where it begins. */
static bool
skip_blanks(const struct scanner *scanner, uint32_t *at)
{
    uint32_t i = *at;
    for (;;) {
        while (class_at(scanner, i) == C_SPACE) {
            i++;
        }
        char c = char_at(scanner, i);
        if (c == '-' && char_at(scanner, i + 1) == '-') {
            const char *newline = memchr(scanner->text + i, '\n', scanner->size - i);
            i = newline == NULL ? scanner->size : (uint32_t)(newline - scanner->text) + 1;
        } else if (c == '/' && char_at(scanner, i + 1) == '*') {
            *at = i;
            if (!skip_comment(scanner, &i)) {
                return false;
            }
        } else {
            *at = i;
            return true;
        }
    }
}

/* Behind a closing quote: if only blanks and line comments, with a newline among them, lie before
 * the next quote, the string goes on there; returns the offset of that quote, else 0. */
static uint32_t
continuation(const struct scanner *scanner, uint32_t at)
{
    bool newline = false;
    for (;;) {
        char c = char_at(scanner, at);
        if (c == '\n' || c == '\r') {
            newline = true;
            at++;
        } else if (class_at(scanner, at) == C_SPACE) {
            at++;
        } else if (newline && c == '-' && char_at(scanner, at + 1) == '-') {
            while (at < scanner->size && scanner->text[at] != '\n' && scanner->text[at] != '\r') {
                at++;
            }
        } else {
            return newline && c == '\'' && at < scanner->size ? at : 0;
        }
    }
}

/* at: behind the opening quote. */
static void
scan_quoted(struct scanner *scanner, struct scan_token *token, uint32_t at, enum scan_kind kind,
    bool backslash, enum scan_error error)
{
    for (;;) {
        if (at >= scanner->size) {
            fail(scanner, token, error, scanner->size);
            return;
        }
        char c = scanner->text[at];
        if (backslash && c == '\\') {
            at += 2;
        } else if (c != '\'') {
            at++;
        } else if (char_at(scanner, at + 1) == '\'' && at + 1 < scanner->size) {
            at += 2;
        } else {
            uint32_t next = continuation(scanner, at + 1);
            if (next == 0) {
                finish(scanner, token, kind, at + 1);
                return;
            }
            at = next + 1;
        }
    }
}

static void
scan_quoted_ident(
    struct scanner *scanner, struct scan_token *token, uint32_t at, enum scan_kind kind)
{
    uint32_t begin = at;
    for (;;) {
        const char *quote =
            at >= scanner->size ? NULL : memchr(scanner->text + at, '"', scanner->size - at);
        if (quote == NULL) {
            fail(scanner, token, SCAN_UNTERMINATED_IDENT, scanner->size);
            return;
        }
        at = (uint32_t)(quote - scanner->text) + 1;
        if (char_at(scanner, at) != '"') {
            break;
        }
        at++;
    }
    if (at == begin + 1) {
        fail(scanner, token, SCAN_EMPTY_IDENT, at);
    } else {
        finish(scanner, token, kind, at);
    }
}

static void
scan_dollar(struct scanner *scanner, struct scan_token *token)
{
    uint32_t at = token->start + 1;
    if (class_at(scanner, at) == C_DIGIT) {
        while (class_at(scanner, at) == C_DIGIT) {
            at++;
        }
        if (class_at(scanner, at) == C_LETTER) {
            fail(scanner, token, SCAN_JUNK_PARAM, at + 1);
        } else {
            finish(scanner, token, SCAN_PARAM, at);
        }
        return;
    }
    if (class_at(scanner, at) == C_LETTER) {
        while (class_at(scanner, at) == C_LETTER || class_at(scanner, at) == C_DIGIT) {
            at++;
        }
    }
    if (char_at(scanner, at) != '$') {
        finish(scanner, token, SCAN_ILLEGAL, token->start + 1);
        return;
    }
    at++;
    uint32_t tag_size = at - token->start;
    const char *tag = scanner->text + token->start;
    const char *end =
        at >= scanner->size ? NULL : memmem(scanner->text + at, scanner->size - at, tag, tag_size);
    if (end == NULL) {
        fail(scanner, token, SCAN_UNTERMINATED_DOLLAR, scanner->size);
    } else {
        finish(scanner, token, SCAN_DOLLAR_STRING, (uint32_t)(end - scanner->text) + tag_size);
    }
}

/* token->start is a digit, or a dot before one. */
static void
scan_number(struct scanner *scanner, struct scan_token *token)
{
    uint32_t at = token->start;
    enum scan_kind kind = SCAN_INTEGER;
    while (class_at(scanner, at) == C_DIGIT) {
        at++;
    }
    /* 1..10 is 1 .. 10 */
    if (char_at(scanner, at) == '.' && char_at(scanner, at + 1) != '.') {
        kind = SCAN_NUMERIC;
        at++;
        while (class_at(scanner, at) == C_DIGIT) {
            at++;
        }
    }
    char c = char_at(scanner, at);
    if (c == 'e' || c == 'E') {
        uint32_t exponent = at + 1;
        bool sign = char_at(scanner, exponent) == '+' || char_at(scanner, exponent) == '-';
        exponent += sign;
        if (class_at(scanner, exponent) == C_DIGIT) {
            kind = SCAN_NUMERIC;
            at = exponent;
            while (class_at(scanner, at) == C_DIGIT) {
                at++;
            }
        } else if (sign) {
            fail(scanner, token, SCAN_JUNK_NUMBER, exponent);
            return;
        }
    }
    if (class_at(scanner, at) == C_LETTER) {
        uint32_t length = utf8_sequence(scanner->text + at, scanner->size - at);
        fail(scanner, token, SCAN_JUNK_NUMBER, at + (length == 0 ? 1 : length));
    } else {
        finish(scanner, token, kind, at);
    }
}

static void
scan_operator(struct scanner *scanner, struct scan_token *token)
{
    const char *text = scanner->text;
    uint32_t start = token->start;
    uint32_t end = start + 1;
    /* By far the most are one character long. */
    if (class_at(scanner, end) == C_OPERATOR) {
        bool long_only = false;
        for (end = start; class_at(scanner, end) == C_OPERATOR; end++) {
            char c = text[end];
            char next = char_at(scanner, end + 1);
            if (end > start && ((c == '-' && next == '-') || (c == '/' && next == '*'))) {
                break;
            }
            long_only = long_only || memchr("~!@#^&|`?%", c, 10) != NULL;
        }
        while (!long_only && end > start + 1 && (text[end - 1] == '+' || text[end - 1] == '-')) {
            end--;
        }
    }
    uint32_t size = end - start;
    char c = text[start];
    enum scan_kind kind = SCAN_OPERATOR;
    if (size == 1 && memchr("+-*/%^<>=", c, 9) != NULL) {
        kind = SCAN_SYMBOL;
        token->symbol = c;
    } else if (size == 2) {
        char d = text[start + 1];
        if (c == '=' && d == '>') {
            kind = SCAN_EQUALS_GREATER;
        } else if (d == '=' && c == '<') {
            kind = SCAN_LESS_EQUALS;
        } else if (d == '=' && c == '>') {
            kind = SCAN_GREATER_EQUALS;
        } else if ((c == '<' && d == '>') || (c == '!' && d == '=')) {
            kind = SCAN_NOT_EQUALS;
        }
    } else if (size >= 64) {
        fail(scanner, token, SCAN_OPERATOR_TOO_LONG, end);
        return;
    }
    finish(scanner, token, kind, end);
}

/* A word, or one of the strings that begin with a letter. */
static void
scan_word(struct scanner *scanner, struct scan_token *token)
{
    uint32_t at = token->start;
    char next = char_at(scanner, at + 1);
    if (next == '\'') {
        switch (scanner->text[at]) {
        case 'e':
        case 'E':
            scan_quoted(scanner, token, at + 2, SCAN_ESCAPE_STRING, true, SCAN_UNTERMINATED_STRING);
            return;
        case 'b':
        case 'B':
            scan_quoted(
                scanner, token, at + 2, SCAN_BIT_STRING, false, SCAN_UNTERMINATED_BIT_STRING);
            return;
        case 'x':
        case 'X':
            scan_quoted(
                scanner, token, at + 2, SCAN_HEX_STRING, false, SCAN_UNTERMINATED_HEX_STRING);
            return;
        default:
            break;
        }
    } else if (next == '&' && (scanner->text[at] == 'u' || scanner->text[at] == 'U')) {
        char quote = char_at(scanner, at + 2);
        if (quote == '\'') {
            scan_quoted(
                scanner, token, at + 3, SCAN_UNICODE_STRING, false, SCAN_UNTERMINATED_STRING);
            return;
        }
        if (quote == '"') {
            scan_quoted_ident(scanner, token, at + 3, SCAN_UNICODE_IDENT);
            return;
        }
    }
    const uint8_t *text = (const uint8_t *)scanner->text;
    do {
        at++;
    } while (at < scanner->size &&
             (classes[text[at]] == C_LETTER || classes[text[at]] == C_DIGIT || text[at] == '$'));
    finish(scanner, token, SCAN_WORD, at);
}

void
scanner_next(struct scanner *scanner, struct scan_token *token)
{
    uint32_t at = scanner->at;
    token->error = SCAN_OK;
    token->symbol = '\0';
    bool blanks_end = skip_blanks(scanner, &at);
    token->start = at;
    if (!blanks_end) {
        fail(scanner, token, SCAN_UNTERMINATED_COMMENT, scanner->size);
        return;
    }
    if (at >= scanner->size) {
        finish(scanner, token, SCAN_END, at);
        return;
    }
    char c = scanner->text[at];
    char next = char_at(scanner, at + 1);
    switch ((enum char_class)classes[(uint8_t)c]) {
    case C_LETTER:
        scan_word(scanner, token);
        return;
    case C_DIGIT:
        scan_number(scanner, token);
        return;
    case C_OPERATOR:
        scan_operator(scanner, token);
        return;
    case C_QUOTE:
        scan_quoted(scanner, token, at + 1, SCAN_STRING, false, SCAN_UNTERMINATED_STRING);
        return;
    case C_DOUBLE_QUOTE:
        scan_quoted_ident(scanner, token, at + 1, SCAN_QUOTED_IDENT);
        return;
    case C_DOLLAR:
        scan_dollar(scanner, token);
        return;
    case C_DOT:
        if (class_at(scanner, at + 1) == C_DIGIT) {
            scan_number(scanner, token);
            return;
        }
        if (next == '.') {
            finish(scanner, token, SCAN_DOT_DOT, at + 2);
            return;
        }
        break;
    case C_COLON:
        if (next == ':' || next == '=') {
            finish(scanner, token, next == ':' ? SCAN_TYPECAST : SCAN_COLON_EQUALS, at + 2);
            return;
        }
        break;
    case C_SELF:
        break;
    case C_SPACE:
    case C_OTHER:
        finish(scanner, token, SCAN_ILLEGAL, at + 1);
        return;
    }
    token->symbol = c;
    finish(scanner, token, SCAN_SYMBOL, at + 1);
}

const char *
scan_error_text(enum scan_error error)
{
    switch (error) {
    case SCAN_UNTERMINATED_STRING:
        return "unterminated quoted string";
    case SCAN_UNTERMINATED_BIT_STRING:
        return "unterminated bit string literal";
    case SCAN_UNTERMINATED_HEX_STRING:
        return "unterminated hexadecimal string literal";
    case SCAN_UNTERMINATED_DOLLAR:
        return "unterminated dollar-quoted string";
    case SCAN_UNTERMINATED_IDENT:
        return "unterminated quoted identifier";
    case SCAN_UNTERMINATED_COMMENT:
        return "unterminated /* comment";
    case SCAN_EMPTY_IDENT:
        return "zero-length delimited identifier";
    case SCAN_JUNK_NUMBER:
        return "trailing junk after numeric literal";
    case SCAN_JUNK_PARAM:
        return "trailing junk after parameter";
    case SCAN_OPERATOR_TOO_LONG:
        return "operator too long";
    case SCAN_OK:
        break;
    }
    return "syntax error";
}

/* ---- values ---------------------------------------------------------------------------------- */

unsigned
utf8_sequence(const char *text, size_t size)
{
    const uint8_t *s = (const uint8_t *)text;
    if (size == 0) {
        return 0;
    }
    if (s[0] < 0x80) {
        return 1;
    }
    unsigned length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || size < length) {
        return 0;
    }
    for (unsigned i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F)) {
        return 0;
    }
    return length;
}

size_t
utf8_invalid_at(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        /* eight bytes of plain ASCII without NUL at a time */
        while (at + 8 <= size) {
            uint64_t word;
            memcpy(&word, text + at, sizeof word);
            if (((word | (word - 0x0101010101010101ULL)) & 0x8080808080808080ULL) != 0) {
                break;
            }
            at += 8;
        }
        if (at >= size) {
            break;
        }
        unsigned length = text[at] == '\0' ? 0 : utf8_sequence(text + at, size - at);
        if (length == 0) {
            return at;
        }
        at += length;
    }
    return size;
}

const char *
scanner_decode_ident(
    const struct scanner *scanner, const struct scan_token *token, struct arena *arena)
{
    enum {
        IDENT_BYTES_MAX = 63,
    };
    const char *from = scanner->text + token->start;
    uint32_t size = token->end - token->start;
    char *name;
    if (token->kind == SCAN_WORD) {
        /* One byte more than fits, to see where a character would be cut. */
        name = arena_alloc_raw(arena, (size_t)size + 1);
        for (uint32_t i = 0; i < size; i++) {
            char c = from[i];
            name[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        }
    } else {
        ASSERT(token->kind == SCAN_QUOTED_IDENT && size > 2);
        name = arena_alloc_raw(arena, size);
        uint32_t length = 0;
        for (uint32_t i = 1; i < size - 1; i++) {
            name[length++] = from[i];
            i += from[i] == '"'; /* the quote doubled */
        }
        size = length;
    }
    if (size > IDENT_BYTES_MAX) {
        size = IDENT_BYTES_MAX;
        while (size > 0 && ((uint8_t)name[size] & 0xC0) == 0x80) {
            size--;
        }
    }
    name[size] = '\0';
    return name;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

static char *
utf8_encode(char *to, uint32_t point)
{
    if (point < 0x80) {
        *to++ = (char)point;
    } else if (point < 0x800) {
        *to++ = (char)(0xC0 | (point >> 6));
        *to++ = (char)(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        *to++ = (char)(0xE0 | (point >> 12));
        *to++ = (char)(0x80 | ((point >> 6) & 0x3F));
        *to++ = (char)(0x80 | (point & 0x3F));
    } else {
        *to++ = (char)(0xF0 | (point >> 18));
        *to++ = (char)(0x80 | ((point >> 12) & 0x3F));
        *to++ = (char)(0x80 | ((point >> 6) & 0x3F));
        *to++ = (char)(0x80 | (point & 0x3F));
    }
    return to;
}

/* A \u or \U escape at from[0..size): its code point, and how many digits it has; 0: malformed. */
static unsigned
unicode_escape(const char *from, uint32_t size, uint32_t *point)
{
    unsigned digits = from[0] == 'u' ? 4 : 8;
    *point = 0;
    if (size < digits + 1) {
        return 0;
    }
    for (unsigned i = 1; i <= digits; i++) {
        int digit = hex_digit(from[i]);
        if (digit < 0) {
            return 0;
        }
        *point = *point << 4 | (uint32_t)digit;
    }
    return digits;
}

/* One backslash escape: from[0] is behind the backslash. Returns how many bytes it took, 0 on
 * error. */
static uint32_t
decode_escape(const char *from, uint32_t size, char **to, struct diag *diag)
{
    char c = from[0];
    switch (c) {
    case 'b':
        *(*to)++ = '\b';
        return 1;
    case 'f':
        *(*to)++ = '\f';
        return 1;
    case 'n':
        *(*to)++ = '\n';
        return 1;
    case 'r':
        *(*to)++ = '\r';
        return 1;
    case 't':
        *(*to)++ = '\t';
        return 1;
    case 'v':
        *(*to)++ = '\v';
        return 1;
    case 'x': {
        uint32_t used = 1;
        int value = 0;
        while (used < 3 && used < size && hex_digit(from[used]) >= 0) {
            value = value * 16 + hex_digit(from[used++]);
        }
        *(*to)++ = (char)(used == 1 ? 'x' : value);
        return used;
    }
    case '0' ... '7': {
        uint32_t used = 0;
        int value = 0;
        while (used < 3 && used < size && from[used] >= '0' && from[used] <= '7') {
            value = value * 8 + (from[used++] - '0');
        }
        *(*to)++ = (char)value;
        return used;
    }
    case 'u':
    case 'U': {
        uint32_t point;
        uint32_t low;
        uint32_t used = unicode_escape(from, size, &point) + 1;
        if (used == 1) {
            (void)diag_set(diag, ERR_INVALID_ESCAPE_SEQUENCE, "invalid Unicode escape");
            diag_hint(diag, "Unicode escapes must be \\uXXXX or \\UXXXXXXXX.");
            return 0;
        }
        if (point >= 0xD800 && point <= 0xDBFF) { /* the first half of a surrogate pair */
            if (size < used + 2 || from[used] != '\\' ||
                (from[used + 1] != 'u' && from[used + 1] != 'U')) {
                (void)diag_set(diag, ERR_SYNTAX, "invalid Unicode surrogate pair");
                return 0;
            }
            unsigned digits = unicode_escape(from + used + 1, size - used - 1, &low);
            if (digits == 0 || low < 0xDC00 || low > 0xDFFF) {
                (void)diag_set(diag, ERR_SYNTAX, "invalid Unicode surrogate pair");
                return 0;
            }
            used += digits + 2;
            point = 0x10000 + ((point & 0x3FF) << 10) + (low & 0x3FF);
        } else if (point >= 0xDC00 && point <= 0xDFFF) {
            (void)diag_set(diag, ERR_SYNTAX, "invalid Unicode surrogate pair");
            return 0;
        }
        if (point == 0 || point > 0x10FFFF) {
            (void)diag_set(diag, ERR_SYNTAX, "invalid Unicode escape value");
            return 0;
        }
        *to = utf8_encode(*to, point);
        return used;
    }
    default:
        *(*to)++ = c;
        return 1;
    }
}

enum err
scanner_decode_string(const struct scanner *scanner, const struct scan_token *token,
    struct arena *arena, const char **value, uint32_t *size, int32_t *location, struct diag *diag)
{
    const char *text = scanner->text;
    uint32_t at = token->start;
    uint32_t end = token->end;
    char *out = arena_alloc_raw(arena, (size_t)(end - at) + 1);
    char *to = out;
    *location = (int32_t)token->start;

    if (token->kind == SCAN_DOLLAR_STRING) {
        const char *tag_end = memchr(text + at + 1, '$', end - at - 1);
        uint32_t tag_size = (uint32_t)(tag_end - (text + at)) + 1;
        uint32_t body = end - at - 2 * tag_size;
        memcpy(to, text + at + tag_size, body);
        to += body;
        at = end;
    } else {
        at += token->kind == SCAN_STRING ? 1 : 2;
    }
    bool high = false; /* an escape made a byte that only a whole check can judge */
    while (at < end) {
        char c = text[at];
        if (c == '\\' && token->kind == SCAN_ESCAPE_STRING) {
            *location = (int32_t)at;
            uint32_t used = decode_escape(text + at + 1, end - at - 1, &to, diag);
            if (used == 0) {
                return diag->code;
            }
            high = high || ((uint8_t)to[-1] & 0x80) != 0 || to[-1] == '\0';
            at += used + 1;
        } else if (c != '\'') {
            *to++ = c;
            at++;
        } else if (at + 1 < end && text[at + 1] == '\'') {
            *to++ = c;
            at += 2;
        } else if (at + 1 < end) {
            at = continuation(scanner, at + 1) + 1;
        } else {
            at++;
        }
    }
    *to = '\0';
    *value = out;
    *size = (uint32_t)(to - out);
    if (high) {
        size_t bad = utf8_invalid_at(out, *size);
        if (bad != *size) {
            *location = -1;
            return diag_set(diag, ERR_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0x%02x", (uint8_t)out[bad]);
        }
    }
    return ERR_OK;
}
