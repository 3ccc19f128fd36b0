#include <string.h>

#include "base/assert.h"
#include "parser/grammar.h"
#include "parser/parser_internal.h"

/*
 * Literals to parameters, in one pass over the tokens, without a tree.
 *
 *   N1. A literal is lifted only where the token before it is known to be followed by an ordinary
 *       expression (`lifts_after`). Everything else stays: date '..', INTERVAL '1', FETCH FIRST 5.
 *   N2. Nothing is lifted where a constant means more than its value: in ORDER BY (column numbers),
 *       in type modifiers, in brackets, behind LIKE and ~ (the planner looks into patterns), in ON
 *       CONFLICT's target, in calls of sequence functions.
 *   N3. Where expressions are compared with each other as trees - GROUP BY, DISTINCT, windows,
 *       HAVING - two equal literals would become two different parameters. Such a statement stays
 *       as it is (VERBATIM).
 *   N4. A doubt costs speed, never meaning: verbatim is always right.
 */

enum place {
    PLACE_OTHER,
    PLACE_EXPRESSION, /* an expression may begin here */
};

/* What stands before the literal. */
static bool
keyword_lifts(int token)
{
    switch (token) {
    case TK_SELECT:
    case TK_WHERE:
    case TK_AND:
    case TK_OR:
    case TK_NOT:
    case TK_CASE:
    case TK_WHEN:
    case TK_THEN:
    case TK_ELSE:
    case TK_BETWEEN:
    case TK_RETURNING:
    case TK_LIMIT:
    case TK_OFFSET:
    case TK_ON:
        return true;
    default:
        return false;
    }
}

/* Words that make the whole statement VERBATIM (N3), or uncacheable. */
enum verdict {
    VERDICT_NONE,
    VERDICT_VERBATIM,
    VERDICT_NO,
};

struct normalizer {
    struct scanner scanner;
    char *to;
    size_t size;
    size_t capacity;
    uint32_t copied; /* the text before here is in `to` */
    enum place place;
    bool pattern; /* behind LIKE or ~: N2 */
    /* Parentheses: where expressions stay verbatim, counted from this depth; 0: nowhere. */
    uint32_t depth;
    uint32_t verbatim_depth;
    /* ORDER BY, or ON CONFLICT's target: nothing is lifted at this depth or below. */
    bool frozen;
    uint32_t frozen_depth;
    /* The tokens before a parenthesis: is it a function's, and could it be a type's? */
    bool name_before;
    bool type_before;     /* the name is a type word, or stands behind :: or AS or another name */
    bool sequence_before; /* the name is one of the sequence functions' */
    bool type_position;   /* a name that begins here is a type's */
};

static bool
copy_until(struct normalizer *n, uint32_t end)
{
    size_t more = end - n->copied;
    if (n->size + more + 1 > n->capacity) {
        return false;
    }
    memcpy(n->to + n->size, n->scanner.text + n->copied, more);
    n->size += more;
    n->copied = end;
    return true;
}

/* The value of a plain 'x'. Where quotes are doubled it goes to the end of the room in `to`. */
static bool
string_value(struct normalizer *n, const struct scan_token *token, struct parser_literal *literal)
{
    const char *text = n->scanner.text + token->start + 1;
    uint32_t size = token->end - token->start - 2;
    literal->kind = PARSER_LITERAL_STRING;
    literal->text = text;
    literal->size = size;
    if (memchr(text, '\'', size) == NULL) {
        return true;
    }
    if (n->size + size > n->capacity) {
        return false;
    }
    n->capacity -= size;
    char *out = n->to + n->capacity;
    uint32_t length = 0;
    for (uint32_t i = 0; i < size; i++) {
        out[length++] = text[i];
        if (text[i] == '\'') {
            i++;
            if (text[i] != '\'') {
                return false; /* goes on behind a newline: too rare to resolve here */
            }
        }
    }
    literal->text = out;
    literal->size = length;
    return true;
}

/* False: leave it where it is. */
static bool
number_value(
    const struct normalizer *n, const struct scan_token *token, struct parser_literal *literal)
{
    const char *text = n->scanner.text + token->start;
    uint32_t size = token->end - token->start;
    literal->text = text;
    literal->size = size;
    if (token->kind == SCAN_NUMERIC) {
        literal->kind = PARSER_LITERAL_NUMERIC;
        return true;
    }
    int64_t value = 0;
    for (uint32_t i = 0; i < size; i++) {
        int digit = text[i] - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    /* With a minus before it this one would be an int4: -2147483648. */
    if (value == (int64_t)INT32_MAX + 1) {
        return false;
    }
    literal->kind = value <= INT32_MAX ? PARSER_LITERAL_INT4 : PARSER_LITERAL_INT8;
    literal->integer = value;
    return true;
}

/* Would the scanner take it into the word, number or parameter it stands beside? */
static bool
goes_on_as_word(char c)
{
    return c == '$' || c == '_' || (c >= '0' && c <= '9') || (uint8_t)(c | 0x20) >= 'a';
}

static bool
lift(struct normalizer *n, const struct scan_token *token, struct parser_normalized *result)
{
    if (result->literal_count == PARSER_LITERALS_MAX) {
        return false;
    }
    struct parser_literal *literal = &result->literals[result->literal_count];
    literal->location = (int32_t)token->start;
    if (token->kind == SCAN_STRING) {
        if (!string_value(n, token, literal)) {
            return false;
        }
    } else if (!number_value(n, token, literal)) {
        return true; /* it stays, and that is all */
    }
    if (!copy_until(n, token->start) || n->size + 5 > n->capacity) {
        return false;
    }
    uint32_t number = ++result->literal_count;
    /* The blanks keep it apart from what stands beside it: select.1, 'a'is, 1and. */
    if (n->size > 0 && goes_on_as_word(n->to[n->size - 1])) {
        n->to[n->size++] = ' ';
    }
    n->to[n->size++] = '$';
    if (number >= 10) {
        n->to[n->size++] = (char)('0' + number / 10);
    }
    n->to[n->size++] = (char)('0' + number % 10);
    char next = token->end < n->scanner.size ? n->scanner.text[token->end] : ' ';
    if (next == '"' || next == '\'' || goes_on_as_word(next)) {
        n->to[n->size++] = ' ';
    }
    n->copied = token->end;
    return true;
}

static void
no_name(struct normalizer *n)
{
    n->name_before = false;
    n->type_before = false;
    n->sequence_before = false;
    n->type_position = false;
}

static bool
word_is(const struct normalizer *n, const struct scan_token *token, const char *prefix)
{
    size_t size = strlen(prefix);
    const char *text = n->scanner.text + token->start;
    if (token->end - token->start < size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if ((text[i] | 0x20) != prefix[i]) {
            return false;
        }
    }
    return true;
}

static enum verdict
take_word(struct normalizer *n, const struct scan_token *token)
{
    const char *text = n->scanner.text + token->start;
    int keyword = parser__keyword_find(text, token->end - token->start);
    int name = keyword < 0 ? 0 : parser__keyword_token(keyword);
    n->place = PLACE_OTHER;
    n->pattern = false;
    if (name == 0) {
        /* Two names in a row: the second is a type (f(a numeric(3))) or an alias. */
        n->type_before = n->name_before || n->type_position;
        n->sequence_before = word_is(n, token, "nextval") || word_is(n, token, "currval") ||
                             word_is(n, token, "setval");
        n->name_before = true;
        n->type_position = false;
        return VERDICT_NONE;
    }
    bool type_position = n->type_position;
    bool name_before = n->name_before;
    no_name(n);
    if (keyword_lifts(name)) {
        n->place = PLACE_EXPRESSION;
    }
    switch (name) {
    case TK_GROUP:
    case TK_DISTINCT:
    case TK_HAVING:
    case TK_OVER:
    case TK_WINDOW:
    case TK_GROUPING:
        return VERDICT_VERBATIM;
    case TK_INTO: /* SELECT INTO; the one of INSERT is never met here */
        return VERDICT_NO;
    case TK_ORDER:
    case TK_CONFLICT:
        if (!n->frozen) {
            n->frozen = true;
            n->frozen_depth = n->depth;
        }
        return VERDICT_NONE;
    case TK_LIMIT:
    case TK_OFFSET:
    case TK_FETCH:
    case TK_FOR:
    case TK_DO:
        if (n->frozen && n->frozen_depth == n->depth) {
            n->frozen = false;
        }
        return VERDICT_NONE;
    case TK_LIKE:
    case TK_ILIKE:
    case TK_TO:
    case TK_ESCAPE:
        n->pattern = true;
        return VERDICT_NONE;
    case TK_AS:
        n->type_position = true;
        return VERDICT_NONE;
    case TK_VARCHAR:
    case TK_CHAR:
    case TK_CHARACTER:
    case TK_NUMERIC:
    case TK_DECIMAL:
    case TK_DEC:
    case TK_BIT:
    case TK_VARYING:
    case TK_TIME:
    case TK_TIMESTAMP:
    case TK_INTERVAL:
    case TK_FLOAT:
    case TK_NCHAR:
    case TK_SECOND:
        n->name_before = true;
        n->type_before = true;
        return VERDICT_NONE;
    case TK_VALUES:
        return VERDICT_NONE;
    default:
        /* Words that may be names count as names: coalesce(..), left(..). */
        n->name_before = parser_keywords(&(size_t){0})[keyword].class != PARSER_RESERVED;
        n->type_before = n->name_before && (type_position || name_before);
        return VERDICT_NONE;
    }
}

static void
take_symbol(struct normalizer *n, const struct scan_token *token)
{
    n->pattern = false;
    switch (token->symbol) {
    case '(':
    case '[':
        n->depth++;
        n->place = PLACE_EXPRESSION;
        if (n->verbatim_depth == 0 &&
            (token->symbol == '[' || n->type_before || n->sequence_before)) {
            n->verbatim_depth = n->depth;
        }
        no_name(n);
        return;
    case ')':
    case ']':
        if (n->verbatim_depth == n->depth) {
            n->verbatim_depth = 0;
        }
        if (n->frozen && n->frozen_depth == n->depth) {
            n->frozen = false;
        }
        n->depth -= n->depth > 0;
        n->place = PLACE_OTHER;
        no_name(n);
        return;
    case '.':
        /* a.b( : the name goes on; what stood before it still counts */
        n->place = PLACE_OTHER;
        n->type_position = n->type_before;
        n->name_before = false;
        return;
    default:
        n->place = PLACE_EXPRESSION;
        no_name(n);
        return;
    }
}

/* One token. VERDICT_NO also when it makes the statement too much for us. */
static enum verdict
take(struct normalizer *n, const struct scan_token *token, struct parser_normalized *result)
{
    switch (token->kind) {
    case SCAN_WORD:
        return take_word(n, token);
    case SCAN_SYMBOL:
        take_symbol(n, token);
        return VERDICT_NONE;
    case SCAN_STRING:
    case SCAN_INTEGER:
    case SCAN_NUMERIC:
        if (n->place == PLACE_EXPRESSION && n->verbatim_depth == 0 && !n->frozen && !n->pattern &&
            !lift(n, token, result)) {
            return VERDICT_NO;
        }
        n->place = PLACE_OTHER;
        n->pattern = false;
        no_name(n);
        return VERDICT_NONE;
    case SCAN_QUOTED_IDENT:
        n->type_before = n->name_before || n->type_position;
        n->name_before = true;
        n->type_position = false;
        n->place = PLACE_OTHER;
        return VERDICT_NONE;
    case SCAN_OPERATOR:
        no_name(n);
        n->place = PLACE_EXPRESSION;
        n->pattern = memchr(n->scanner.text + token->start, '~', token->end - token->start) != NULL;
        return VERDICT_NONE;
    case SCAN_LESS_EQUALS:
    case SCAN_GREATER_EQUALS:
    case SCAN_NOT_EQUALS:
        no_name(n);
        n->place = PLACE_EXPRESSION;
        return VERDICT_NONE;
    case SCAN_TYPECAST:
        no_name(n);
        n->place = PLACE_OTHER;
        n->type_position = true;
        return VERDICT_NONE;
    case SCAN_ESCAPE_STRING:
    case SCAN_DOLLAR_STRING:
    case SCAN_BIT_STRING:
    case SCAN_HEX_STRING:
        no_name(n);
        n->place = PLACE_OTHER;
        return VERDICT_NONE;
    case SCAN_UNICODE_STRING:
    case SCAN_UNICODE_IDENT:
    case SCAN_PARAM:
    case SCAN_DOT_DOT:
    case SCAN_COLON_EQUALS:
    case SCAN_EQUALS_GREATER:
    case SCAN_ILLEGAL:
    case SCAN_ERROR:
    case SCAN_END:
        break;
    }
    return VERDICT_NO;
}

/* The first word says whether we look further; for INSERT also its INTO is taken here. */
static bool
begins_well(struct normalizer *n, struct scan_token *token)
{
    if (token->kind != SCAN_WORD) {
        return false;
    }
    int keyword = parser__keyword_find(n->scanner.text + token->start, token->end - token->start);
    switch (keyword < 0 ? 0 : parser__keyword_token(keyword)) {
    case TK_SELECT:
        n->place = PLACE_EXPRESSION;
        return true;
    case TK_UPDATE:
    case TK_DELETE:
        return true;
    case TK_INSERT:
        scanner_next(&n->scanner, token);
        return token->kind == SCAN_WORD && token->end - token->start == 4 &&
               word_is(n, token, "into");
    default:
        return false;
    }
}

void
parser_normalize(
    const char *text, size_t size, char *to, size_t to_size, struct parser_normalized *result)
{
    result->kind = PARSER_NORMAL_NO;
    result->text = text;
    result->size = size;
    result->literal_count = 0;
    if (size > INT32_MAX || to_size < 2) {
        return;
    }
    struct normalizer n = {.to = to, .capacity = to_size - 1};
    scanner_create(&n.scanner, text, size);
    struct scan_token token;
    scanner_next(&n.scanner, &token);
    uint32_t start = token.start;
    n.copied = start;
    if (!begins_well(&n, &token)) {
        return;
    }
    bool verbatim = false;
    uint32_t end;
    for (;;) {
        end = token.end;
        scanner_next(&n.scanner, &token);
        if (token.kind == SCAN_END) {
            break;
        }
        if (token.kind == SCAN_SYMBOL && token.symbol == ';') {
            scanner_next(&n.scanner, &token);
            if (token.kind != SCAN_END) {
                return;
            }
            break;
        }
        switch (take(&n, &token, result)) {
        case VERDICT_NONE:
            break;
        case VERDICT_VERBATIM:
            verbatim = true;
            break;
        case VERDICT_NO:
            result->literal_count = 0;
            return;
        }
    }
    if (verbatim || result->literal_count == 0) {
        result->kind = PARSER_NORMAL_VERBATIM;
        result->text = text + start;
        result->size = end - start;
        result->literal_count = 0;
        return;
    }
    if (!copy_until(&n, end)) {
        return;
    }
    n.to[n.size] = '\0';
    result->kind = PARSER_NORMAL_LIFTED;
    result->text = to;
    result->size = n.size;
}
