/*
 * sql/value/datetime_read.c - dates and times from text, in all the forms PostgreSQL takes.
 *
 * First the text is cut into pieces by its letters and digits alone (cut), then the pieces are
 * given their meaning in order (read_pieces): a number means what is still missing, in the order
 * that DateStyle says; every part of a date may be named once. What remains is checked (settle).
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "sql/value/datetime_internal.h"

enum {
    HAVE_YEAR = 1,
    HAVE_MONTH = 2,
    HAVE_DAY = 4,
    HAVE_TIME = 8,
    HAVE_ZONE = 16,
    HAVE_YEAR_DAY = 32,
    HAVE_SUMMER = 64,
    HAVE_HALF = 128, /* AM, PM */
    HAVE_ERA = 256,
    HAVE_WEEKDAY = 512,
    HAVE_DATE = HAVE_YEAR | HAVE_MONTH | HAVE_DAY,
};

enum order {
    ORDER_MDY,
    ORDER_DMY,
    ORDER_YMD,
};

/* What the next number is, said by a letter before it: 2000-01-01T10, J2451545. */
enum announced {
    ANNOUNCED_NOTHING,
    ANNOUNCED_TIME,
    ANNOUNCED_JULIAN,
    ANNOUNCED_OTHER, /* a unit that is no part of a date: an error if a number follows */
};

struct reading {
    struct pieces pieces;
    struct eval *eval;
    struct slice text;
    const char *type; /* for messages */
    oid_t oid;
    enum order order;
    unsigned have;
    int64_t year;
    int month, day, hour, minute, second;
    int64_t us;
    int year_day;
    bool text_month, two_digit_year, julian, before_christ;
    char half; /* 'A', 'P' */
    enum announced announced;
    char special;             /* 'E' epoch, '+' infinity, '-' -infinity */
    int32_t offset;           /* if HAVE_ZONE and zone is NULL */
    int32_t summer;           /* DST after it */
    const struct zone *zone;  /* a named one */
    const char *abbreviation; /* of `zone`, if it came so */
};

/* ---- errors ------------------------------------------------------------------------------ */

static enum err
bad(const struct reading *r)
{
    return datetime__invalid(r->eval, r->type, r->text);
}

static enum err
overflow(const struct reading *r)
{
    return diag_set(r->eval->diag, ERR_DATETIME_OVERFLOW,
        "date/time field value out of range: \"%.*s\"",
        (int)(r->text.size > 200 ? 200 : r->text.size), (const char *)r->text.data);
}

static enum err
order_overflow(const struct reading *r)
{
    enum err err = overflow(r);
    diag_hint(r->eval->diag, "Perhaps you need a different \"datestyle\" setting.");
    return err;
}

enum err
datetime__invalid(struct eval *eval, const char *type, struct slice text)
{
    return diag_set(eval->diag, ERR_DATETIME_FORMAT, "invalid input syntax for type %s: \"%.*s\"",
        type, (int)(text.size > 200 ? 200 : text.size), (const char *)text.data);
}

/* ---- cutting ----------------------------------------------------------------------------- */

struct cutter {
    const uint8_t *at, *end;
    struct pieces *pieces;
    size_t used;
};

static uint8_t
peek(const struct cutter *c)
{
    return c->at < c->end ? *c->at : 0;
}

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The rooms of `memory` suffice because cut() bounds the text. */
static void
keep(struct cutter *c)
{
    uint8_t letter = *c->at++;
    c->pieces->memory[c->used++] = (char)(letter >= 'A' && letter <= 'Z' ? letter + 32 : letter);
}

static void
keep_digits(struct cutter *c, const char *also)
{
    while (is_digit(peek(c)) || (peek(c) != 0 && strchr(also, peek(c)) != NULL)) {
        keep(c);
    }
}

static void
keep_letters(struct cutter *c)
{
    while (is_letter(peek(c))) {
        keep(c);
    }
}

static void
keep_word(struct cutter *c, const char *also)
{
    while (is_letter(peek(c)) || is_digit(peek(c)) ||
           (peek(c) != 0 && strchr(also, peek(c)) != NULL)) {
        keep(c);
    }
}

static enum piece_kind
cut_number(struct cutter *c)
{
    keep_digits(c, "");
    uint8_t by = peek(c);
    if (by == ':') {
        keep_digits(c, ":.");
        return PIECE_TIME;
    }
    if (by != '-' && by != '/' && by != '.') {
        return PIECE_NUMBER;
    }
    keep(c);
    if (!is_digit(peek(c))) {
        char also[2] = {(char)by, 0};
        enum piece_kind kind = by == '.' && !is_letter(peek(c)) ? PIECE_NUMBER : PIECE_DATE;
        keep_word(c, also);
        return kind;
    }
    keep_digits(c, "");
    if (peek(c) == by) {
        char also[2] = {(char)by, 0};
        keep_digits(c, also);
        return PIECE_DATE;
    }
    return by == '.' ? PIECE_NUMBER : PIECE_DATE;
}

static enum piece_kind
cut_word(struct cutter *c)
{
    size_t start = c->used;
    keep_letters(c);
    uint8_t next = peek(c);
    bool more = next == '-' || next == '/' || next == '.';
    if (next == '+' || is_digit(next)) {
        /* T10 and J2451545 are two pieces, EST5EDT is one. */
        c->pieces->memory[c->used] = '\0';
        more = !datetime__known_word(c->pieces->memory + start);
    }
    if (!more) {
        return PIECE_WORD;
    }
    keep_word(c, "+-/_.:");
    return PIECE_DATE;
}

bool
datetime__cut(struct slice text, struct pieces *pieces)
{
    struct cutter c = {text.data, text.data + text.size, pieces, 0};
    pieces->count = 0;
    if (text.size > PIECES_TEXT_MAX ||
        memchr(text.data == NULL ? (const uint8_t *)"" : text.data, 0, text.size) != NULL) {
        return false;
    }
    while (c.at < c.end) {
        uint8_t first = *c.at;
        if (isspace(first)) {
            c.at++;
            continue;
        }
        size_t start = c.used;
        enum piece_kind kind;
        if (is_digit(first)) {
            kind = cut_number(&c);
        } else if (first == '.') {
            keep(&c);
            keep_digits(&c, "");
            kind = PIECE_NUMBER;
        } else if (is_letter(first)) {
            kind = cut_word(&c);
        } else if (first == '+' || first == '-') {
            keep(&c);
            while (c.at < c.end && isspace(*c.at)) {
                c.at++;
            }
            if (is_digit(peek(&c))) {
                keep_digits(&c, ":.-");
                kind = PIECE_ZONE;
            } else if (is_letter(peek(&c))) {
                keep_letters(&c);
                kind = PIECE_SIGNED_WORD;
            } else {
                return false;
            }
        } else if (ispunct(first)) {
            c.at++;
            continue;
        } else {
            return false;
        }
        if (pieces->count >= PIECES_MAX) {
            return false;
        }
        pieces->memory[c.used++] = '\0';
        pieces->list[pieces->count].kind = kind;
        pieces->list[pieces->count].text = pieces->memory + start;
        pieces->count++;
    }
    return true;
}

/* ---- words ------------------------------------------------------------------------------- */

enum meaning {
    MEANS_NOTHING,
    MEANS_MONTH,
    MEANS_WEEKDAY,
    MEANS_HALF,
    MEANS_ERA,
    MEANS_SUMMER,
    MEANS_TIME_LETTER,
    MEANS_JULIAN,
    MEANS_UNIT,
    MEANS_NOW,
    MEANS_TODAY,
    MEANS_MIDNIGHT,
    MEANS_SPECIAL,
};

struct word {
    const char *word;
    enum meaning meaning;
    int value;
};

static const struct word words[] = {{"at", MEANS_NOTHING, 0}, {"on", MEANS_NOTHING, 0},
    {"jan", MEANS_MONTH, 1}, {"january", MEANS_MONTH, 1}, {"feb", MEANS_MONTH, 2},
    {"february", MEANS_MONTH, 2}, {"mar", MEANS_MONTH, 3}, {"march", MEANS_MONTH, 3},
    {"apr", MEANS_MONTH, 4}, {"april", MEANS_MONTH, 4}, {"may", MEANS_MONTH, 5},
    {"jun", MEANS_MONTH, 6}, {"june", MEANS_MONTH, 6}, {"jul", MEANS_MONTH, 7},
    {"july", MEANS_MONTH, 7}, {"aug", MEANS_MONTH, 8}, {"august", MEANS_MONTH, 8},
    {"sep", MEANS_MONTH, 9}, {"sept", MEANS_MONTH, 9}, {"september", MEANS_MONTH, 9},
    {"oct", MEANS_MONTH, 10}, {"october", MEANS_MONTH, 10}, {"nov", MEANS_MONTH, 11},
    {"november", MEANS_MONTH, 11}, {"dec", MEANS_MONTH, 12}, {"december", MEANS_MONTH, 12},
    {"sun", MEANS_WEEKDAY, 0}, {"sunday", MEANS_WEEKDAY, 0}, {"mon", MEANS_WEEKDAY, 1},
    {"monday", MEANS_WEEKDAY, 1}, {"tue", MEANS_WEEKDAY, 2}, {"tues", MEANS_WEEKDAY, 2},
    {"tuesday", MEANS_WEEKDAY, 2}, {"wed", MEANS_WEEKDAY, 3}, {"wednesday", MEANS_WEEKDAY, 3},
    {"weds", MEANS_WEEKDAY, 3}, {"thu", MEANS_WEEKDAY, 4}, {"thur", MEANS_WEEKDAY, 4},
    {"thurs", MEANS_WEEKDAY, 4}, {"thursday", MEANS_WEEKDAY, 4}, {"fri", MEANS_WEEKDAY, 5},
    {"friday", MEANS_WEEKDAY, 5}, {"sat", MEANS_WEEKDAY, 6}, {"saturday", MEANS_WEEKDAY, 6},
    {"am", MEANS_HALF, 'A'}, {"pm", MEANS_HALF, 'P'}, {"ad", MEANS_ERA, 0}, {"bc", MEANS_ERA, 1},
    {"dst", MEANS_SUMMER, 3600}, {"t", MEANS_TIME_LETTER, 0}, {"j", MEANS_JULIAN, 0},
    {"jd", MEANS_JULIAN, 0}, {"julian", MEANS_JULIAN, 0}, {"d", MEANS_UNIT, 0},
    {"dow", MEANS_UNIT, 0}, {"doy", MEANS_UNIT, 0}, {"h", MEANS_UNIT, 0}, {"isodow", MEANS_UNIT, 0},
    {"isoyear", MEANS_UNIT, 0}, {"m", MEANS_UNIT, 0}, {"mm", MEANS_UNIT, 0}, {"s", MEANS_UNIT, 0},
    {"y", MEANS_UNIT, 0}, {"now", MEANS_NOW, 0}, {"today", MEANS_TODAY, 0},
    {"tomorrow", MEANS_TODAY, 1}, {"yesterday", MEANS_TODAY, -1}, {"allballs", MEANS_MIDNIGHT, 0},
    {"epoch", MEANS_SPECIAL, 'E'}, {"infinity", MEANS_SPECIAL, '+'},
    {"-infinity", MEANS_SPECIAL, '-'}};

static const struct word *
find_word(const char *text)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].word, text) == 0) {
            return &words[i];
        }
    }
    return NULL;
}

bool
datetime__known_word(const char *text)
{
    return find_word(text) != NULL;
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* Digits to a number of at most 2^31-1. */
static enum err
number(const struct reading *r, const char *text, const char **end, int *value)
{
    int64_t sum = 0;
    const char *at = text;
    for (; is_digit((uint8_t)*at); at++) {
        sum = sum * 10 + (*at - '0');
        if (sum > INT32_MAX) {
            return overflow(r);
        }
    }
    *end = at;
    *value = (int)sum;
    return at == text && *at != '.' ? bad(r) : ERR_OK;
}

static int
small_number(const char *text, size_t size)
{
    int sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum = sum * 10 + (text[i] - '0');
    }
    return sum;
}

/* ".5": microseconds, rounded. */
static enum err
fraction(const struct reading *r, const char *text, int64_t *us)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (text[1] == '\0') {
        *us = 0;
        return ERR_OK;
    }
    if (*end != '\0' || strspn(text + 1, "0123456789") != strlen(text + 1)) {
        return bad(r);
    }
    *us = (int64_t)rint(value * 1e6);
    return ERR_OK;
}

static enum err
have(struct reading *r, unsigned what)
{
    if ((r->have & what) != 0) {
        return bad(r);
    }
    r->have |= what;
    return ERR_OK;
}

/* 20250131, 250131, 102030, 1020: by the number of digits. `have` says what is there already. */
static enum err
run_together(struct reading *r, char *text, unsigned already)
{
    char *point = strchr(text, '.');
    if (point != NULL) {
        TRY(fraction(r, point, &r->us));
        *point = '\0';
    }
    size_t size = strlen(text);
    if (strspn(text, "0123456789") != size) {
        return bad(r);
    }
    if (point == NULL && (already & HAVE_DATE) != HAVE_DATE && size >= 6) {
        if (size > 12) {
            return overflow(r);
        }
        TRY(have(r, HAVE_DATE));
        r->day = small_number(text + size - 2, 2);
        r->month = small_number(text + size - 4, 2);
        r->year = strtol(arena_strndup(r->eval->arena, text, size - 4), NULL, 10);
        r->two_digit_year = size == 6;
        return ERR_OK;
    }
    if ((already & HAVE_TIME) == 0 && (size == 6 || size == 4)) {
        TRY(have(r, HAVE_TIME));
        r->hour = small_number(text, 2);
        r->minute = small_number(text + 2, 2);
        r->second = size == 6 ? small_number(text + 4, 2) : 0;
        return ERR_OK;
    }
    return bad(r);
}

/* One number of a date: which part it is depends on what is known and on DateStyle. */
static enum err
part(struct reading *r, char *text, unsigned already)
{
    size_t size = strlen(text);
    const char *end = NULL;
    int value = 0;
    TRY(number(r, text, &end, &value));
    if (*end == '.') {
        if (end - text > 2) {
            return run_together(r, text, already | HAVE_DATE);
        }
        TRY(fraction(r, end, &r->us));
    } else if (*end != '\0') {
        return bad(r);
    }
    unsigned date = already & HAVE_DATE;
    unsigned what = 0;
    if (size == 3 && date == HAVE_YEAR && value >= 1 && value <= 366) {
        TRY(have(r, HAVE_YEAR_DAY | HAVE_MONTH | HAVE_DAY));
        r->year_day = value;
        return ERR_OK;
    }
    switch (date) {
    case 0:
        what = size >= 3 || r->order == ORDER_YMD ? HAVE_YEAR
               : r->order == ORDER_DMY            ? HAVE_DAY
                                                  : HAVE_MONTH;
        break;
    case HAVE_YEAR:
    case HAVE_DAY:
        what = HAVE_MONTH;
        break;
    case HAVE_MONTH:
        what = r->text_month && (size >= 3 || r->order == ORDER_YMD) ? HAVE_YEAR : HAVE_DAY;
        break;
    case HAVE_YEAR | HAVE_MONTH:
        what = HAVE_DAY;
        if (r->text_month && size >= 3 && r->two_digit_year) {
            /* What was taken for the year was the day: 08-Jan-1999. */
            r->day = (int)r->year;
            r->year = value;
            r->two_digit_year = false;
            return have(r, HAVE_DAY);
        }
        break;
    case HAVE_MONTH | HAVE_DAY:
        what = HAVE_YEAR;
        break;
    case HAVE_DATE:
        return run_together(r, text, already);
    default:
        return bad(r);
    }
    TRY(have(r, what));
    if (what == HAVE_YEAR) {
        r->year = value;
        r->two_digit_year = size <= 2;
    } else if (what == HAVE_MONTH) {
        r->month = value;
    } else {
        r->day = value;
    }
    return ERR_OK;
}

/* ---- dates, times, offsets --------------------------------------------------------------- */

/* 1999-01-08, 1/8/99, 8-Jan-1999, 99.008: runs of digits or letters between anything else. */
static enum err
date_piece(struct reading *r, char *text)
{
    char *fields[PIECES_MAX];
    size_t count = 0;
    unsigned before = r->have;
    while (*text != '\0') {
        while (*text != '\0' && !is_digit((uint8_t)*text) && !is_letter((uint8_t)*text)) {
            text++;
        }
        if (*text == '\0' || count >= PIECES_MAX) {
            return bad(r);
        }
        fields[count++] = text;
        bool digits = is_digit((uint8_t)*text);
        while (digits ? is_digit((uint8_t)*text) : is_letter((uint8_t)*text)) {
            text++;
        }
        if (*text != '\0') {
            /* The next field must not lose its first character: only a separator may be cut. */
            if (is_digit((uint8_t)*text) || is_letter((uint8_t)*text)) {
                char *copy = arena_strndup(
                    r->eval->arena, fields[count - 1], (size_t)(text - fields[count - 1]));
                fields[count - 1] = copy;
            } else {
                *text++ = '\0';
            }
        }
    }
    bool text_month = false;
    for (size_t i = 0; i < count; i++) {
        if (!is_letter((uint8_t)fields[i][0])) {
            continue;
        }
        const struct word *word = find_word(fields[i]);
        if (word == NULL || (word->meaning != MEANS_MONTH && word->meaning != MEANS_NOTHING)) {
            return bad(r);
        }
        if (word->meaning == MEANS_MONTH) {
            TRY(have(r, HAVE_MONTH));
            r->month = word->value;
            text_month = true;
        }
        fields[i] = NULL;
    }
    bool outer = r->text_month;
    r->text_month = text_month;
    for (size_t i = 0; i < count; i++) {
        if (fields[i] != NULL) {
            TRY(part(r, fields[i], r->have));
        }
    }
    r->text_month = outer;
    unsigned got = (r->have & ~before) | (before & HAVE_DATE);
    return (got & ~(unsigned)(HAVE_YEAR_DAY | HAVE_ZONE)) != HAVE_DATE ? bad(r) : ERR_OK;
}

static enum err
time_piece(struct reading *r, const char *text)
{
    const char *at = NULL;
    TRY(have(r, HAVE_TIME));
    TRY(number(r, text, &at, &r->hour));
    if (*at != ':') {
        return bad(r);
    }
    TRY(number(r, at + 1, &at, &r->minute));
    r->second = 0;
    r->us = 0;
    if (*at == '.') { /* mm:ss.fff */
        TRY(fraction(r, at, &r->us));
        r->second = r->minute;
        r->minute = r->hour;
        r->hour = 0;
    } else if (*at == ':') {
        TRY(number(r, at + 1, &at, &r->second));
        if (*at == '.') {
            TRY(fraction(r, at, &r->us));
        } else if (*at != '\0') {
            return bad(r);
        }
    } else if (*at != '\0') {
        return bad(r);
    }
    return r->minute > 59 || r->second > 60 ? overflow(r) : ERR_OK;
}

/* +hh, -hh:mm, +hhmm, -hh:mm:ss. */
static enum err
offset_piece(struct reading *r, const char *text)
{
    const char *at = NULL;
    int hours = 0;
    int minutes = 0;
    int seconds = 0;
    TRY(have(r, HAVE_ZONE));
    TRY(number(r, text + 1, &at, &hours));
    if (*at == ':') {
        TRY(number(r, at + 1, &at, &minutes));
        if (*at == ':') {
            TRY(number(r, at + 1, &at, &seconds));
        }
    } else if (*at == '\0' && strlen(text) > 3) {
        minutes = hours % 100;
        hours /= 100;
    }
    if (hours > 15 || minutes > 59 || seconds > 59) {
        return diag_set(r->eval->diag, ERR_ZONE_DISPLACEMENT,
            "time zone displacement out of range: \"%.*s\"",
            (int)(r->text.size > 200 ? 200 : r->text.size), (const char *)r->text.data);
    }
    int32_t offset = hours * 3600 + minutes * 60 + seconds;
    r->offset = text[0] == '-' ? -offset : offset;
    return *at != '\0' ? bad(r) : ERR_OK;
}

static const struct zone *
zone_named(const struct reading *r, const char *name)
{
    return zone__find(r->eval->task, slice_of(name, strlen(name)));
}

/* ---- pieces ------------------------------------------------------------------------------ */

/* The session's local time now, moved by days. */
static enum err
local_now(struct reading *r, int days, struct civil *civil)
{
    int64_t local = 0;
    if (!zone__to_local(
            zone__session(r->eval->task, r->eval->env), r->eval->env->transaction_time, &local)) {
        return timestamp__range(r->eval);
    }
    timestamp__to_civil(local + days * USECS_PER_DAY, civil);
    r->year = civil->year;
    r->month = civil->month;
    r->day = civil->day;
    r->julian = true; /* the year is astronomical */
    return ERR_OK;
}

static enum err
month_word(struct reading *r, int month)
{
    if ((r->have & HAVE_MONTH) != 0 && !r->text_month && (r->have & HAVE_DAY) == 0 &&
        r->month >= 1 && r->month <= 31) {
        /* The number taken for a month was the day: 8 January. */
        r->day = r->month;
        r->have |= HAVE_DAY;
    } else {
        TRY(have(r, HAVE_MONTH));
    }
    r->text_month = true;
    r->month = month;
    return ERR_OK;
}

static enum err
zone_word(struct reading *r, const char *text)
{
    int32_t offset = 0;
    const char *name = NULL;
    if (zone__abbreviation(slice_of(text, strlen(text)), &offset, &name)) {
        TRY(have(r, HAVE_ZONE));
        r->offset = offset;
        if (name != NULL) {
            r->zone = zone_named(r, name);
            r->abbreviation = text;
        }
        return name != NULL && r->zone == NULL ? bad(r) : ERR_OK;
    }
    r->zone = zone_named(r, text);
    return r->zone == NULL ? bad(r) : have(r, HAVE_ZONE);
}

static enum err
word_piece(struct reading *r, size_t index)
{
    const char *text = r->pieces.list[index].text;
    int32_t offset = 0;
    const char *name = NULL;
    const struct word *word = find_word(text);
    struct civil now;
    if (word == NULL || zone__abbreviation(slice_of(text, strlen(text)), &offset, &name)) {
        return zone_word(r, text);
    }
    switch (word->meaning) {
    case MEANS_NOTHING:
        return ERR_OK;
    case MEANS_MONTH:
        return month_word(r, word->value);
    case MEANS_WEEKDAY:
        return have(r, HAVE_WEEKDAY);
    case MEANS_HALF:
        r->half = (char)word->value;
        return have(r, HAVE_HALF);
    case MEANS_ERA:
        r->before_christ = word->value != 0;
        return have(r, HAVE_ERA);
    case MEANS_SUMMER:
        r->summer = word->value;
        return have(r, HAVE_SUMMER);
    case MEANS_TIME_LETTER: {
        bool time_only = r->oid == TYPE_TIME;
        if (!time_only && (r->have & HAVE_DATE) != HAVE_DATE) {
            return bad(r);
        }
        if (index + 1 >= r->pieces.count) {
            return bad(r);
        }
        enum piece_kind next = r->pieces.list[index + 1].kind;
        if (next != PIECE_NUMBER && next != PIECE_TIME && next != PIECE_DATE) {
            return bad(r);
        }
        r->announced = ANNOUNCED_TIME;
        return ERR_OK;
    }
    case MEANS_JULIAN:
        r->announced = ANNOUNCED_JULIAN;
        return ERR_OK;
    case MEANS_UNIT:
        r->announced = ANNOUNCED_OTHER;
        return ERR_OK;
    case MEANS_NOW:
        TRY(have(r, HAVE_DATE | HAVE_TIME | HAVE_ZONE));
        TRY(local_now(r, 0, &now));
        r->special = 'N';
        r->hour = now.hour;
        r->minute = now.minute;
        r->second = now.second;
        r->us = now.us;
        return ERR_OK;
    case MEANS_TODAY:
        TRY(have(r, HAVE_DATE));
        return local_now(r, word->value, &now);
    case MEANS_MIDNIGHT:
        TRY(have(r, HAVE_TIME | HAVE_ZONE));
        r->hour = r->minute = r->second = 0;
        r->us = 0;
        r->offset = 0;
        return ERR_OK;
    case MEANS_SPECIAL:
        r->special = (char)word->value;
        return have(r, HAVE_DATE | HAVE_TIME | HAVE_ZONE);
    }
    return bad(r);
}

static enum err
announced_number(struct reading *r, char *text)
{
    enum announced announced = r->announced;
    r->announced = ANNOUNCED_NOTHING;
    if (announced == ANNOUNCED_TIME) {
        unsigned before = r->have;
        TRY(run_together(r, text, r->have | HAVE_DATE));
        return (r->have & ~before) == HAVE_TIME ? ERR_OK : bad(r);
    }
    if (announced != ANNOUNCED_JULIAN) {
        return bad(r);
    }
    const char *end = NULL;
    int value = 0;
    TRY(number(r, text, &end, &value));
    TRY(have(r, HAVE_DATE));
    date__to_civil(value - JULIAN_2000, &r->year, &r->month, &r->day);
    r->julian = true;
    if (*end == '.') {
        char *rest = NULL;
        int64_t time = (int64_t)(strtod(end, &rest) * (double)USECS_PER_DAY);
        TRY(have(r, HAVE_TIME));
        r->hour = (int)(time / USECS_PER_HOUR);
        r->minute = (int)(time / USECS_PER_MINUTE % 60);
        r->second = (int)(time / USECS_PER_SECOND % 60);
        r->us = time % USECS_PER_SECOND;
        return *rest == '\0' ? ERR_OK : bad(r);
    }
    return *end == '\0' ? ERR_OK : bad(r);
}

static enum err
number_piece(struct reading *r, size_t index)
{
    char *text = r->pieces.list[index].text;
    if (r->announced != ANNOUNCED_NOTHING) {
        return announced_number(r, text);
    }
    size_t size = strlen(text);
    const char *point = strchr(text, '.');
    if (r->oid == TYPE_TIME) {
        size_t count = r->pieces.count;
        if (point != NULL && index == 0 && count >= 2 &&
            r->pieces.list[count - 1].kind == PIECE_DATE) {
            return date_piece(r, text);
        }
        if (point != NULL && point - text <= 2) {
            return bad(r);
        }
        return run_together(r, text, r->have | HAVE_DATE);
    }
    if (point != NULL && (r->have & HAVE_DATE) == 0) {
        return date_piece(r, text);
    }
    if (point != NULL && point - text > 2) {
        return run_together(r, text, r->have);
    }
    if (size >= 6 && ((r->have & HAVE_DATE) == 0 || (r->have & HAVE_TIME) == 0)) {
        return run_together(r, text, r->have);
    }
    return part(r, text, r->have);
}

/* A date; or, if there is one, a zone's name or a time and an offset that ran together. */
static enum err
date_or_zone_piece(struct reading *r, size_t index)
{
    char *text = r->pieces.list[index].text;
    size_t count = r->pieces.count;
    bool date = r->announced == ANNOUNCED_NOTHING &&
                (r->have & (HAVE_MONTH | HAVE_DAY)) != (HAVE_MONTH | HAVE_DAY);
    if (r->oid == TYPE_TIME) {
        date =
            index == 0 && count >= 2 &&
            (r->pieces.list[count - 1].kind == PIECE_DATE || r->pieces.list[1].kind == PIECE_TIME);
    }
    if (date) {
        return date_piece(r, text);
    }
    if (is_digit((uint8_t)text[0]) || r->announced != ANNOUNCED_NOTHING) {
        if (r->announced != ANNOUNCED_NOTHING && r->announced != ANNOUNCED_TIME) {
            return bad(r);
        }
        r->announced = ANNOUNCED_NOTHING;
        char *minus = strchr(text, '-');
        if ((r->have & HAVE_TIME) != 0 || minus == NULL) {
            return bad(r);
        }
        TRY(offset_piece(r, arena_strdup(r->eval->arena, minus)));
        *minus = '\0';
        return run_together(r, text, r->have | (r->oid == TYPE_TIME ? HAVE_DATE : 0));
    }
    r->zone = zone_named(r, text);
    if (r->zone == NULL) {
        return diag_set(
            r->eval->diag, ERR_INVALID_PARAMETER_VALUE, "time zone \"%s\" not recognized", text);
    }
    return have(r, HAVE_ZONE);
}

static enum err
read_pieces(struct reading *r)
{
    for (size_t i = 0; i < r->pieces.count; i++) {
        struct piece *piece = &r->pieces.list[i];
        switch (piece->kind) {
        case PIECE_DATE:
            TRY(date_or_zone_piece(r, i));
            break;
        case PIECE_TIME:
            if (r->announced != ANNOUNCED_NOTHING && r->announced != ANNOUNCED_TIME) {
                return bad(r);
            }
            r->announced = ANNOUNCED_NOTHING;
            TRY(time_piece(r, piece->text));
            break;
        case PIECE_ZONE:
            TRY(offset_piece(r, piece->text));
            break;
        case PIECE_NUMBER:
            TRY(number_piece(r, i));
            break;
        case PIECE_WORD:
        case PIECE_SIGNED_WORD:
            TRY(word_piece(r, i));
            break;
        }
    }
    return ERR_OK;
}

/* ---- settling ---------------------------------------------------------------------------- */

static enum err
settle_date(struct reading *r)
{
    if ((r->have & HAVE_YEAR) != 0 && !r->julian) {
        if (r->before_christ) {
            if (r->year <= 0) {
                return overflow(r);
            }
            r->year = 1 - r->year;
        } else if (r->two_digit_year) {
            r->year += r->year < 70 ? 2000 : r->year < 100 ? 1900 : 0;
        } else if (r->year <= 0) {
            return overflow(r);
        }
    }
    if ((r->have & HAVE_YEAR_DAY) != 0) {
        date__to_civil(
            date__from_civil(r->year, 1, 1) + r->year_day - 1, &r->year, &r->month, &r->day);
    }
    if ((r->have & HAVE_MONTH) != 0 && (r->month < 1 || r->month > 12)) {
        return order_overflow(r);
    }
    if ((r->have & HAVE_DAY) != 0 && (r->day < 1 || r->day > 31)) {
        return order_overflow(r);
    }
    return (r->have & HAVE_DATE) == HAVE_DATE && r->day > date__month_days(r->year, r->month)
               ? overflow(r)
               : ERR_OK;
}

static enum err
settle_time(struct reading *r)
{
    if (r->half != 0 && r->hour > 12) {
        return overflow(r);
    }
    if (r->half == 'A' && r->hour == 12) {
        r->hour = 0;
    } else if (r->half == 'P' && r->hour != 12) {
        r->hour += 12;
    }
    int64_t time = r->hour * USECS_PER_HOUR + r->minute * USECS_PER_MINUTE +
                   r->second * USECS_PER_SECOND + r->us;
    return r->hour > 24 || r->minute > 59 || r->second > 60 || time > USECS_PER_DAY ? overflow(r)
                                                                                    : ERR_OK;
}

/* Where the zone's clock shows this time, or by the session's zone if none was named. */
static enum err
to_utc(struct reading *r, int64_t local, int64_t *utc)
{
    int32_t offset = r->offset;
    int64_t seconds = floor_div(local, USECS_PER_SECOND) + UNIX_TO_2000;
    if ((r->have & HAVE_ZONE) == 0 || r->special == 'N') {
        offset = zone__offset_local(zone__session(r->eval->task, r->eval->env), seconds);
    } else if (r->abbreviation != NULL) {
        offset = zone__offset_abbreviation(r->zone, seconds, r->abbreviation);
    } else if (r->zone != NULL) {
        if ((r->have & HAVE_SUMMER) != 0) {
            return bad(r);
        }
        offset = zone__offset_local(r->zone, seconds);
    }
    if (__builtin_sub_overflow(local, (offset + r->summer) * USECS_PER_SECOND, utc) ||
        !timestamp_valid(*utc)) {
        return diag_set(r->eval->diag, ERR_DATETIME_OVERFLOW, "timestamp out of range: \"%.*s\"",
            (int)(r->text.size > 200 ? 200 : r->text.size), (const char *)r->text.data);
    }
    return ERR_OK;
}

static enum err
date_value(struct reading *r, int64_t *value)
{
    if (r->special == '+' || r->special == '-') {
        *value = r->special == '+' ? INT32_MAX : INT32_MIN;
        return ERR_OK;
    }
    if (r->special == 'E') {
        *value = -UNIX_TO_2000 / SECONDS_PER_DAY;
        return ERR_OK;
    }
    *value = r->year > 6000000 ? DATE_END : date__from_civil(r->year, r->month, r->day);
    if (*value < DATE_LEAST || *value >= DATE_END) {
        return diag_set(r->eval->diag, ERR_DATETIME_OVERFLOW, "date out of range: \"%.*s\"",
            (int)(r->text.size > 200 ? 200 : r->text.size), (const char *)r->text.data);
    }
    return ERR_OK;
}

static enum err
timestamp_value(struct reading *r, int64_t *value)
{
    if (r->special == '+' || r->special == '-') {
        *value = r->special == '+' ? INT64_MAX : INT64_MIN;
        return ERR_OK;
    }
    if (r->special == 'E') {
        *value = -UNIX_TO_2000 * USECS_PER_SECOND;
        return ERR_OK;
    }
    int64_t date = r->year > 300000 ? TIMESTAMP_END / USECS_PER_DAY + 1
                                    : date__from_civil(r->year, r->month, r->day);
    int64_t time = r->hour * USECS_PER_HOUR + r->minute * USECS_PER_MINUTE +
                   r->second * USECS_PER_SECOND + r->us;
    if (__builtin_mul_overflow(date, USECS_PER_DAY, value) ||
        __builtin_add_overflow(*value, time, value) ||
        (r->oid == TYPE_TIMESTAMP && !timestamp_valid(*value))) {
        return diag_set(r->eval->diag, ERR_DATETIME_OVERFLOW, "timestamp out of range: \"%.*s\"",
            (int)(r->text.size > 200 ? 200 : r->text.size), (const char *)r->text.data);
    }
    return r->oid == TYPE_TIMESTAMPTZ ? to_utc(r, *value, value) : ERR_OK;
}

static enum err
time_value(struct reading *r, int64_t *value)
{
    bool fixed = r->zone == NULL || zone__is_fixed(r->zone);
    if ((r->have & HAVE_TIME) == 0 || r->special == '+' || r->special == '-' || r->special == 'E' ||
        (!fixed && (r->have & HAVE_DATE) != HAVE_DATE)) {
        return bad(r);
    }
    *value = r->hour * USECS_PER_HOUR + r->minute * USECS_PER_MINUTE +
             r->second * USECS_PER_SECOND + r->us;
    return ERR_OK;
}

enum err
datetime__read(struct eval *eval, oid_t type, struct slice text, int64_t *value)
{
    struct reading r = {
        .eval = eval,
        .text = text,
        .oid = type,
        .type = type == TYPE_DATE        ? "date"
                : type == TYPE_TIME      ? "time"
                : type == TYPE_TIMESTAMP ? "timestamp"
                                         : "timestamp with time zone",
        .order = eval->env == NULL ? ORDER_MDY : (enum order)eval->env->date_style_order,
    };
    if (!datetime__cut(text, &r.pieces)) {
        return bad(&r);
    }
    TRY(read_pieces(&r));
    bool plain = r.special == 0 || r.special == 'N';
    if (plain) {
        TRY(settle_date(&r));
        TRY(settle_time(&r));
    }
    if ((r.have & (HAVE_SUMMER | HAVE_ZONE)) == HAVE_SUMMER) {
        return bad(&r);
    }
    if (type == TYPE_TIME) {
        return time_value(&r, value);
    }
    if ((r.have & HAVE_DATE) != HAVE_DATE) {
        return bad(&r);
    }
    return type == TYPE_DATE ? date_value(&r, value) : timestamp_value(&r, value);
}
