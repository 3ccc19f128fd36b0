/*
 * sql/value/datetime_format.c - to_char of times, to_timestamp and to_date by a template.
 *
 * A template is parsed into a list of nodes (template_parse): a pattern with its modifiers, a
 * separator, a blank, or a letter that stands for itself. Writing walks it and prints; reading
 * walks it over the text and collects fields, which are put together at the end (assemble).
 */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "sql/value/datetime_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

/* ---- templates --------------------------------------------------------------------------- */

enum pattern {
    P_AD_DOTS,
    P_AD,
    P_AM_DOTS,
    P_AM,
    P_CC,
    P_DAY,
    P_DDD,
    P_DD,
    P_DY,
    P_D,
    P_FF,
    P_FX,
    P_HH24,
    P_HH12,
    P_IDDD,
    P_ID,
    P_IW,
    P_IYYY,
    P_IYY,
    P_IY,
    P_I,
    P_J,
    P_MI,
    P_MM,
    P_MONTH,
    P_MON,
    P_MS,
    P_OF,
    P_Q,
    P_RM,
    P_SSSS,
    P_SS,
    P_TZH,
    P_TZM,
    P_TZ,
    P_US,
    P_WW,
    P_W,
    P_Y_YYY,
    P_YYYY,
    P_YYY,
    P_YY,
    P_Y,
};

enum letters {
    LETTERS_UPPER,
    LETTERS_LOWER,
    LETTERS_TITLE,
};

enum {
    FILL = 1,    /* FM: no padding */
    ORDINAL = 2, /* TH */
    ORDINAL_LOWER = 4,
    LOCALE = 8, /* TM: names in the locale's language, of which there is one; not padded */
};

enum node_kind {
    NODE_PATTERN,
    NODE_SEPARATOR,
    NODE_BLANK,
    NODE_LETTER,
};

struct node {
    enum node_kind kind;
    enum pattern pattern;
    enum letters letters;
    int modifiers;
    int digits;        /* of FF1..FF6 */
    const char *name;  /* the pattern's, for messages */
    struct slice text; /* of a letter, blank, separator */
};

struct template
{
    struct node *nodes;
    size_t count;
};

/* In an order in which the longer of two that begin alike comes first. `digits`: it reads a number;
 * `size`: how many digits. */
static const struct keyword {
    const char *name; /* in capitals; small letters are tried too */
    enum pattern pattern;
    bool number;
} keywords[] = {{"A.D.", P_AD_DOTS, false}, {"A.M.", P_AM_DOTS, false}, {"AD", P_AD, false},
    {"AM", P_AM, false}, {"B.C.", P_AD_DOTS, false}, {"BC", P_AD, false}, {"CC", P_CC, true},
    {"DAY", P_DAY, false}, {"DDD", P_DDD, true}, {"DD", P_DD, true}, {"DY", P_DY, false},
    {"D", P_D, true}, {"FF1", P_FF, true}, {"FF2", P_FF, true}, {"FF3", P_FF, true},
    {"FF4", P_FF, true}, {"FF5", P_FF, true}, {"FF6", P_FF, true}, {"FX", P_FX, false},
    {"HH24", P_HH24, true}, {"HH12", P_HH12, true}, {"HH", P_HH12, true}, {"IDDD", P_IDDD, true},
    {"ID", P_ID, true}, {"IW", P_IW, true}, {"IYYY", P_IYYY, true}, {"IYY", P_IYY, true},
    {"IY", P_IY, true}, {"I", P_I, true}, {"J", P_J, true}, {"MI", P_MI, true}, {"MM", P_MM, true},
    {"MONTH", P_MONTH, false}, {"MON", P_MON, false}, {"MS", P_MS, true}, {"OF", P_OF, false},
    {"P.M.", P_AM_DOTS, false}, {"PM", P_AM, false}, {"Q", P_Q, true}, {"RM", P_RM, false},
    {"SSSSS", P_SSSS, true}, {"SSSS", P_SSSS, true}, {"SS", P_SS, true}, {"TZH", P_TZH, false},
    {"TZM", P_TZM, true}, {"TZ", P_TZ, false}, {"US", P_US, true}, {"WW", P_WW, true},
    {"W", P_W, true}, {"Y,YYY", P_Y_YYY, true}, {"YYYY", P_YYYY, true}, {"YYY", P_YYY, true},
    {"YY", P_YY, true}, {"Y", P_Y, true}};

static bool
begins(struct slice text, const char *with)
{
    size_t size = strlen(with);
    return text.size >= size && memcmp(text.data, with, size) == 0;
}

static bool
begins_folded(struct slice text, const char *with)
{
    size_t size = strlen(with);
    return text.size >= size && strncasecmp((const char *)text.data, with, size) == 0;
}

static void
advance(struct slice *text, size_t size)
{
    text->data += size;
    text->size -= size;
}

static bool
is_number(const struct node *node)
{
    return node->kind == NODE_PATTERN && keywords[node->digits >> 8].number;
}

/* All small or all capital; Month, Mon, Day, Dy also with one capital. */
static const struct keyword *
find_keyword(struct slice text, enum letters *letters)
{
    if (!isalpha(text.data[0])) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        const struct keyword *keyword = &keywords[i];
        if (toupper(text.data[0]) != keyword->name[0] || !begins_folded(text, keyword->name)) {
            continue;
        }
        size_t size = strlen(keyword->name);
        bool upper = begins(text, keyword->name);
        bool lower = true;
        for (size_t k = 0; k < size; k++) {
            lower = lower && text.data[k] == (uint8_t)tolower(keyword->name[k]);
        }
        bool title = text.data[0] == (uint8_t)keyword->name[0];
        for (size_t k = 1; k < size; k++) {
            title = title && text.data[k] == (uint8_t)tolower(keyword->name[k]);
        }
        title = title && (keyword->pattern == P_MONTH || keyword->pattern == P_MON ||
                             keyword->pattern == P_DAY || keyword->pattern == P_DY);
        if (upper || lower || title) {
            *letters = upper ? LETTERS_UPPER : lower ? LETTERS_LOWER : LETTERS_TITLE;
            return keyword;
        }
    }
    return NULL;
}

static bool
is_separator(uint8_t c)
{
    return c > 0x20 && c < 0x7F && !isalnum(c);
}

static size_t
character_size(struct slice text)
{
    size_t size = 1;
    while (size < text.size && (text.data[size] & 0xC0) == 0x80) {
        size++;
    }
    return size;
}

static void
add_literal(struct template *t, struct slice *text, bool quoted)
{
    struct node *node = &t->nodes[t->count++];
    uint8_t c = text->data[0];
    node->kind = quoted            ? NODE_LETTER
                 : is_separator(c) ? NODE_SEPARATOR
                 : isspace(c)      ? NODE_BLANK
                                   : NODE_LETTER;
    node->text = slice_of(text->data, character_size(*text));
    advance(text, node->text.size);
}

static struct template template_parse(struct arena *arena, struct slice text)
{
    struct template t = {arena_array(arena, text.size + 1, sizeof *t.nodes), 0};
    while (text.size > 0) {
        int modifiers = 0;
        if (begins(text, "FM") || begins(text, "fm")) {
            modifiers |= FILL;
            advance(&text, 2);
        } else if (begins(text, "TM") || begins(text, "tm")) {
            modifiers |= LOCALE;
            advance(&text, 2);
        }
        if (text.size == 0) {
            break;
        }
        struct node *node = &t.nodes[t.count];
        const struct keyword *keyword = find_keyword(text, &node->letters);
        if (keyword != NULL) {
            node->kind = NODE_PATTERN;
            node->pattern = keyword->pattern;
            node->name = arena_strndup(arena, (const char *)text.data, strlen(keyword->name));
            node->digits = (int)(keyword - keywords) << 8;
            node->digits |= keyword->pattern == P_FF ? keyword->name[2] - '0' : 0;
            advance(&text, strlen(keyword->name));
            if (begins(text, "TH")) {
                modifiers |= ORDINAL;
                advance(&text, 2);
            } else if (begins(text, "th")) {
                modifiers |= ORDINAL_LOWER;
                advance(&text, 2);
            } else if (begins(text, "SP")) {
                advance(&text, 2); /* spelled numbers exist nowhere */
            }
            node->modifiers = modifiers;
            t.count++;
            continue;
        }
        if (text.data[0] != '"') {
            if (text.data[0] == '\\' && text.size > 1 && text.data[1] == '"') {
                advance(&text, 1);
            }
            add_literal(&t, &text, false);
            continue;
        }
        advance(&text, 1);
        while (text.size > 0 && text.data[0] != '"') {
            if (text.data[0] == '\\' && text.size > 1) {
                advance(&text, 1);
            }
            add_literal(&t, &text, true);
        }
        advance(&text, text.size > 0 ? 1 : 0);
    }
    return t;
}

/* ---- writing ----------------------------------------------------------------------------- */

struct moment {
    struct civil c; /* of an interval: years, months, days, hours .. as they are */
    int64_t hour;   /* an interval's may be large */
    bool interval;
    int64_t date;
    const char *zone; /* abbreviation; NULL: none */
    int32_t offset;
};

static void
put_cased(struct buffer *to, const char *word, enum letters letters, int width)
{
    int size = (int)strlen(word);
    for (int i = 0; i < size; i++) {
        int c = word[i];
        c = letters == LETTERS_UPPER ? toupper(c) : letters == LETTERS_LOWER ? tolower(c) : c;
        buffer_add_u8(to, (uint8_t)c);
    }
    for (int i = size; i < width; i++) {
        buffer_add_u8(to, ' ');
    }
}

static void
put_ordinal(struct buffer *to, const struct node *node, size_t start)
{
    if ((node->modifiers & (ORDINAL | ORDINAL_LOWER)) == 0) {
        return;
    }
    size_t size = to->size - start;
    uint8_t last = size == 0 ? '0' : to->data[to->size - 1];
    bool teen = size > 1 && to->data[to->size - 2] == '1';
    const char *ending = teen          ? "TH"
                         : last == '1' ? "ST"
                         : last == '2' ? "ND"
                         : last == '3' ? "RD"
                                       : "TH";
    put_cased(to, ending, (node->modifiers & ORDINAL) != 0 ? LETTERS_UPPER : LETTERS_LOWER, 0);
}

/* A number in at least `width` places, one more if negative. */
static void
put_number(struct buffer *to, const struct node *node, int width, int64_t number)
{
    size_t start = to->size;
    int64_t size = number < 0 ? -number : number;
    int64_t most = 10; /* with fewer digits than are wanted */
    if (number < 0) {
        buffer_add_u8(to, '-');
    }
    for (; width > 1 && (node->modifiers & FILL) == 0; width--, most *= 10) {
        /* Counted from below: one zero for every power of ten it does not reach. */
        if (size < most) {
            break;
        }
    }
    for (; width > 1 && (node->modifiers & FILL) == 0; width--) {
        buffer_add_u8(to, '0');
    }
    buffer_add_decimal(to, size);
    put_ordinal(to, node, start);
}

static int64_t
shown_year(const struct moment *m, int64_t year)
{
    return m->interval || year > 0 ? year : 1 - year;
}

static void
put_zone_offset(struct buffer *to, const struct moment *m, const struct node *node)
{
    int32_t size = m->offset < 0 ? -m->offset : m->offset;
    buffer_printf(to, "%c%0*d", m->offset < 0 ? '-' : '+',
        node->pattern == P_OF && (node->modifiers & FILL) != 0 ? 0 : 2, size / 3600);
    if (node->pattern == P_OF && size % 3600 / 60 != 0) {
        buffer_printf(to, ":%02d", size % 3600 / 60);
    }
}

static void
put_roman_month(struct buffer *to, const struct node *node, const struct moment *m)
{
    static const char *const roman[12] = {
        "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};
    if (m->c.month == 0 && m->c.year == 0) {
        return;
    }
    /* Of an interval: a year without months is XII, a negative one counts from the end. */
    int month = m->c.month == 0  ? (m->c.year >= 0 ? 12 : 1)
                : m->c.month < 0 ? 13 + m->c.month
                                 : m->c.month;
    put_cased(to, roman[month - 1], node->letters == LETTERS_LOWER ? LETTERS_LOWER : LETTERS_UPPER,
        (node->modifiers & FILL) != 0 ? 0 : 4);
}

static int64_t
century(const struct moment *m)
{
    int64_t year = m->c.year;
    return m->interval ? year / 100 : year > 0 ? (year - 1) / 100 + 1 : year / 100 - 1;
}

static enum err
not_for_interval(struct eval *eval)
{
    enum err err = diag_set(
        eval->diag, ERR_DATETIME_FORMAT, "invalid format specification for an interval value");
    diag_detail(eval->diag, "Intervals are not tied to specific calendar dates.");
    return err;
}

static bool
is_calendar(enum pattern pattern)
{
    switch (pattern) {
    case P_AD:
    case P_AD_DOTS:
    case P_MONTH:
    case P_MON:
    case P_DAY:
    case P_DY:
    case P_D:
    case P_ID:
    case P_TZ:
    case P_TZH:
    case P_TZM:
    case P_OF:
        return true;
    default:
        return false;
    }
}

static int64_t
iso_year_day(int64_t date)
{
    int64_t year = 0;
    int week = date__iso_week(date, &year);
    return (week - 1) * 7 + date__iso_weekday(date);
}

static bool
is_iso(enum pattern pattern)
{
    return pattern == P_IW || pattern == P_IYYY || pattern == P_IYY || pattern == P_IY ||
           pattern == P_I;
}

static void
put_pattern(struct buffer *to, const struct node *node, const struct moment *m)
{
    const struct civil *c = &m->c;
    int fill = node->modifiers & FILL;
    int name_width = (node->modifiers & (FILL | LOCALE)) != 0 ? 0 : 9;
    int64_t iso_year = 0;
    int iso_week = 0;
    if (is_iso(node->pattern)) {
        iso_week = date__iso_week(m->date, &iso_year);
    }
    int64_t year_day = m->interval ? (c->year * 12 + c->month) * 30 + c->day
                                   : m->date - date__from_civil(c->year, 1, 1) + 1;
    int weekday = date__iso_weekday(m->date);
    size_t start = to->size;
    char text[16];
    switch (node->pattern) {
    case P_AD_DOTS:
        put_cased(to, c->year <= 0 ? "B.C." : "A.D.", node->letters, 0);
        return;
    case P_AD:
        put_cased(to, c->year <= 0 ? "BC" : "AD", node->letters, 0);
        return;
    case P_AM_DOTS:
        put_cased(to, m->hour % 24 >= 12 ? "P.M." : "A.M.", node->letters, 0);
        return;
    case P_AM:
        put_cased(to, m->hour % 24 >= 12 ? "PM" : "AM", node->letters, 0);
        return;
    case P_HH12:
        put_number(to, node, 2, m->hour % 12 == 0 ? 12 : m->hour % 12);
        return;
    case P_HH24:
        put_number(to, node, 2, m->hour);
        return;
    case P_MI:
        put_number(to, node, 2, c->minute);
        return;
    case P_SS:
        put_number(to, node, 2, c->second);
        return;
    case P_MS:
    case P_US:
    case P_FF: {
        int digits = node->pattern == P_MS ? 3 : node->pattern == P_US ? 6 : node->digits & 0xFF;
        int value = c->us;
        for (int i = digits; i < 6; i++) {
            value /= 10;
        }
        buffer_printf(to, "%0*d", digits, value);
        put_ordinal(to, node, start);
        return;
    }
    case P_SSSS:
        buffer_printf(to, "%lld", (long long)(m->hour * 3600 + c->minute * 60 + c->second));
        put_ordinal(to, node, start);
        return;
    case P_TZ:
        if (m->zone != NULL) {
            put_cased(
                to, m->zone, node->letters == LETTERS_LOWER ? LETTERS_LOWER : LETTERS_TITLE, 0);
        }
        return;
    case P_TZH:
    case P_OF:
        put_zone_offset(to, m, node);
        return;
    case P_TZM:
        buffer_printf(to, "%02d", (m->offset < 0 ? -m->offset : m->offset) % 3600 / 60);
        return;
    case P_MONTH:
        put_cased(to, month_names[c->month - 1], node->letters, name_width);
        return;
    case P_MON:
        (void)snprintf(text, sizeof text, "%.3s", month_names[c->month - 1]);
        put_cased(to, text, node->letters, 0);
        return;
    case P_MM:
        put_number(to, node, 2, c->month);
        return;
    case P_DAY:
        put_cased(to, day_names[weekday % 7], node->letters, name_width);
        return;
    case P_DY:
        (void)snprintf(text, sizeof text, "%.3s", day_names[weekday % 7]);
        put_cased(to, text, node->letters, 0);
        return;
    case P_DDD:
        buffer_printf(to, "%0*lld", fill != 0 ? 0 : 3, (long long)year_day);
        put_ordinal(to, node, start);
        return;
    case P_IDDD:
        buffer_printf(to, "%0*lld", fill != 0 ? 0 : 3, (long long)iso_year_day(m->date));
        put_ordinal(to, node, start);
        return;
    case P_DD:
        if (m->interval) {
            buffer_printf(to, "%0*d", fill != 0 ? 0 : 2, c->day);
            put_ordinal(to, node, start);
        } else {
            put_number(to, node, 2, c->day);
        }
        return;
    case P_D:
        put_number(to, node, 1, weekday % 7 + 1);
        return;
    case P_ID:
        put_number(to, node, 1, weekday);
        return;
    case P_WW:
        buffer_printf(to, "%0*lld", fill != 0 ? 0 : 2, (long long)((year_day - 1) / 7 + 1));
        put_ordinal(to, node, start);
        return;
    case P_IW:
        buffer_printf(to, "%0*d", fill != 0 ? 0 : 2, iso_week);
        put_ordinal(to, node, start);
        return;
    case P_Q:
        if (c->month != 0) {
            put_number(to, node, 1, (c->month - 1) / 3 + 1);
        }
        return;
    case P_CC:
        put_number(to, node, century(m) <= 99 && century(m) >= -99 ? 2 : 1, century(m));
        return;
    case P_Y_YYY: {
        int64_t year = shown_year(m, c->year);
        buffer_printf(to, "%lld,%03lld", (long long)(year / 1000), (long long)(year % 1000));
        put_ordinal(to, node, start);
        return;
    }
    case P_YYYY:
        put_number(to, node, 4, shown_year(m, c->year));
        return;
    case P_IYYY:
        put_number(to, node, 4, shown_year(m, iso_year));
        return;
    case P_YYY:
        put_number(to, node, 3, shown_year(m, c->year) % 1000);
        return;
    case P_IYY:
        put_number(to, node, 3, shown_year(m, iso_year) % 1000);
        return;
    case P_YY:
        put_number(to, node, 2, shown_year(m, c->year) % 100);
        return;
    case P_IY:
        put_number(to, node, 2, shown_year(m, iso_year) % 100);
        return;
    case P_Y:
        put_number(to, node, 1, shown_year(m, c->year) % 10);
        return;
    case P_I:
        put_number(to, node, 1, shown_year(m, iso_year) % 10);
        return;
    case P_RM:
        put_roman_month(to, node, m);
        return;
    case P_W:
        put_number(to, node, 1, (c->day - 1) / 7 + 1);
        return;
    case P_J:
        put_number(to, node, 1, m->date + JULIAN_2000);
        return;
    case P_FX:
        return;
    }
}

static enum err
write_moment(struct eval *eval, struct datum format, const struct moment *m, struct datum *result)
{
    struct template t = template_parse(eval->arena, datum_slice(format));
    struct buffer to = {0};
    enum err err = ERR_OK;
    for (size_t i = 0; i < t.count && err == ERR_OK; i++) {
        const struct node *node = &t.nodes[i];
        if (node->kind != NODE_PATTERN) {
            buffer_add(&to, node->text.data, node->text.size);
        } else if (m->interval && is_calendar(node->pattern)) {
            err = not_for_interval(eval);
        } else {
            put_pattern(&to, node, m);
        }
    }
    *result = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return err;
}

static enum err
timestamp_to_char(struct eval *eval, int64_t timestamp, struct moment *m, struct datum format,
    struct datum *result)
{
    timestamp__to_civil(timestamp, &m->c);
    m->hour = m->c.hour;
    m->date = floor_div(timestamp, USECS_PER_DAY);
    return write_moment(eval, format, m, result);
}

FN(to_char_timestamp)
{
    UNUSED_COUNT;
    struct moment m = {.zone = NULL};
    if (args[1].size == 0 || !timestamp_finite(args[0].i)) {
        *result = datum_null();
        return ERR_OK;
    }
    return timestamp_to_char(eval, args[0].i, &m, args[1], result);
}

FN(to_char_timestamptz)
{
    UNUSED_COUNT;
    struct moment m = {.zone = NULL};
    if (args[1].size == 0 || !timestamp_finite(args[0].i)) {
        *result = datum_null();
        return ERR_OK;
    }
    bool daylight = false;
    m.offset = zone__offset(zone__session(eval->task, eval->env),
        floor_div(args[0].i, USECS_PER_SECOND) + UNIX_TO_2000, &daylight, &m.zone);
    return timestamp_to_char(eval, args[0].i + m.offset * USECS_PER_SECOND, &m, args[1], result);
}

FN(to_char_interval)
{
    UNUSED_COUNT;
    if (args[1].size == 0) {
        *result = datum_null();
        return ERR_OK;
    }
    struct interval span = interval_of(args[0]);
    struct moment m = {
        .interval = true,
        .hour = span.us / USECS_PER_HOUR,
        .c = {.year = span.months / 12,
            .month = span.months % 12,
            .day = span.days,
            .minute = (int)(span.us / USECS_PER_MINUTE % 60),
            .second = (int)(span.us / USECS_PER_SECOND % 60),
            .us = (int)(span.us % USECS_PER_SECOND)},
    };
    /* As if it were a date: what the ISO patterns show of it has no other meaning. */
    m.date = date__from_civil(m.c.year, m.c.month, m.c.day);
    return write_moment(eval, args[1], &m, result);
}

/* ---- reading ----------------------------------------------------------------------------- */

enum convention {
    CONVENTION_NONE,
    CONVENTION_GREGORIAN,
    CONVENTION_ISO_WEEK,
};

struct parsing {
    struct eval *eval;
    struct slice rest; /* of the text */
    struct slice text;
    const struct template *template;
    size_t at;  /* node */
    bool fixed; /* FX */
    int extra;  /* blanks and separators skipped that the template did not ask for */
    enum convention convention;
    int hour, half, minute, second, day_second, weekday, day, year_day, month, ms, year,
        before_christ, week_of_year, week_of_month, century, julian, us;
    int year_digits;
    bool clock12;
    int zone_sign, zone_hour, zone_minute;
};

static enum err
set_field(struct parsing *p, const struct node *node, int *field, int value)
{
    if (*field != 0 && *field != value) {
        enum err err = diag_set(p->eval->diag, ERR_DATETIME_FORMAT,
            "conflicting values for \"%s\" field in formatting string", node->name);
        diag_detail(
            p->eval->diag, "This value contradicts a previous setting for the same field type.");
        return err;
    }
    *field = value;
    return ERR_OK;
}

static enum err
set_convention(struct parsing *p, enum convention convention)
{
    if (p->convention == CONVENTION_NONE) {
        p->convention = convention;
    } else if (p->convention != convention) {
        enum err err =
            diag_set(p->eval->diag, ERR_DATETIME_FORMAT, "invalid combination of date conventions");
        diag_hint(p->eval->diag,
            "Do not mix Gregorian and ISO week date conventions in a formatting template.");
        return err;
    }
    return ERR_OK;
}

/* Nothing that is a digit can follow, so a number may be as long as it likes. */
static bool
before_separator(const struct parsing *p)
{
    const struct node *node = &p->template->nodes[p->at];
    if ((node->modifiers & (ORDINAL | ORDINAL_LOWER)) != 0 || p->at + 1 >= p->template->count) {
        return true;
    }
    const struct node *next = node + 1;
    if (next->kind == NODE_PATTERN) {
        return !is_number(next);
    }
    return !(next->text.size == 1 && isdigit(next->text.data[0]));
}

static size_t
blanks(struct slice text)
{
    size_t size = 0;
    while (size < text.size && isspace(text.data[size])) {
        size++;
    }
    return size;
}

/* A number of `size` digits, or of as many as there are before something else. *used: how many. */
static enum err
read_number(struct parsing *p, const struct node *node, int size, int *number, int *used)
{
    advance(&p->rest, blanks(p->rest));
    bool free = (node->modifiers & FILL) != 0 || before_separator(p);
    size_t limit = free ? p->rest.size : (size_t)size;
    size_t have = p->rest.size < (size_t)size ? p->rest.size : (size_t)size;
    if (!free && have < (size_t)size) {
        enum err err = diag_set(p->eval->diag, ERR_DATETIME_FORMAT,
            "source string too short for \"%s\" formatting field", node->name);
        diag_detail(
            p->eval->diag, "Field requires %d characters, but only %zu remain.", size, have);
        diag_hint(p->eval->diag,
            "If your source string is not fixed-width, try using the \"FM\" modifier.");
        return err;
    }
    size_t end = 0;
    bool negative = false;
    int64_t value = 0;
    if (end < limit && (p->rest.data[end] == '-' || p->rest.data[end] == '+')) {
        negative = p->rest.data[end++] == '-';
    }
    size_t digits = end;
    while (end < limit && end < p->rest.size && isdigit(p->rest.data[end])) {
        value = value < INT32_MAX ? value * 10 + (p->rest.data[end] - '0') : value;
        end++;
    }
    if (end == digits) {
        enum err err = diag_set(p->eval->diag, ERR_DATETIME_FORMAT,
            "invalid value \"%.*s\" for \"%s\"", (int)have, (const char *)p->rest.data, node->name);
        diag_detail(p->eval->diag, "Value must be an integer.");
        return err;
    }
    if (!free && end < (size_t)size) {
        enum err err = diag_set(p->eval->diag, ERR_DATETIME_FORMAT,
            "invalid value \"%.*s\" for \"%s\"", (int)have, (const char *)p->rest.data, node->name);
        diag_detail(p->eval->diag, "Field requires %d characters, but only %zu could be parsed.",
            size, end);
        diag_hint(p->eval->diag,
            "If your source string is not fixed-width, try using the \"FM\" modifier.");
        return err;
    }
    if (value > INT32_MAX) {
        enum err err = diag_set(p->eval->diag, ERR_DATETIME_OVERFLOW,
            "value for \"%s\" in source string is out of range", node->name);
        diag_detail(p->eval->diag, "Value must be in the range %d to %d.", INT32_MIN, INT32_MAX);
        return err;
    }
    advance(&p->rest, end);
    *number = (int)(negative ? -value : value);
    *used = (int)end;
    return ERR_OK;
}

static enum err
read_field(struct parsing *p, const struct node *node, int size, int *field)
{
    int number = 0;
    int used = 0;
    TRY(read_number(p, node, size, &number, &used));
    return set_field(p, node, field, number);
}

static enum err
no_word(struct parsing *p, const struct node *node)
{
    size_t size = 0;
    while (size < p->rest.size && !isspace(p->rest.data[size])) {
        size++;
    }
    enum err err = diag_set(p->eval->diag, ERR_DATETIME_FORMAT, "invalid value \"%.*s\" for \"%s\"",
        (int)(size > 200 ? 200 : size), (const char *)p->rest.data, node->name);
    diag_detail(
        p->eval->diag, "The given value did not match any of the allowed values for this field.");
    return err;
}

/* One of the words, or of their first `cut` letters, in any case. *index: which, from 0. */
static enum err
read_word(struct parsing *p, const struct node *node, const char *const *words, int count,
    size_t cut, int *index)
{
    for (int i = 0; i < count; i++) {
        char word[16];
        (void)snprintf(word, sizeof word, "%.*s", (int)cut, words[i]);
        if (begins_folded(p->rest, word)) {
            *index = i;
            advance(&p->rest, strlen(word));
            return ERR_OK;
        }
    }
    return no_word(p, node);
}

static void
skip_ordinal(struct parsing *p, const struct node *node)
{
    if ((node->modifiers & (ORDINAL | ORDINAL_LOWER)) != 0) {
        for (int i = 0; i < 2 && p->rest.size > 0; i++) {
            advance(&p->rest, character_size(p->rest));
        }
    }
}

/* Years of less than four digits are near 2020. */
static int
full_year(int year)
{
    return year < 70     ? year + 2000
           : year < 100  ? year + 1900
           : year < 520  ? year + 2000
           : year < 1000 ? year + 1000
                         : year;
}

static enum err
read_year(struct parsing *p, const struct node *node, int digits, enum convention convention)
{
    int number = 0;
    int used = 0;
    TRY(set_convention(p, convention));
    TRY(read_number(p, node, digits, &number, &used));
    if (digits < 4 && used < 4) {
        number = full_year(number);
    }
    TRY(set_field(p, node, &p->year, number));
    p->year_digits = digits;
    return ERR_OK;
}

/* 1,999 */
static enum err
read_comma_year(struct parsing *p, const struct node *node)
{
    int thousands = 0;
    int rest = 0;
    size_t at = 0;
    TRY(set_convention(p, CONVENTION_GREGORIAN));
    advance(&p->rest, blanks(p->rest));
    while (at < p->rest.size && at < 6 && isdigit(p->rest.data[at])) {
        thousands = thousands * 10 + (p->rest.data[at++] - '0');
    }
    bool good = at > 0 && at < p->rest.size && p->rest.data[at] == ',';
    size_t digits = ++at;
    while (good && at < p->rest.size && at < digits + 3 && isdigit(p->rest.data[at])) {
        rest = rest * 10 + (p->rest.data[at++] - '0');
    }
    if (!good || at == digits) {
        return diag_set(p->eval->diag, ERR_DATETIME_FORMAT, "invalid input string for \"Y,YYY\"");
    }
    advance(&p->rest, at);
    p->year_digits = 4;
    return set_field(p, node, &p->year, thousands * 1000 + rest);
}

/* .5 is five tenths: digits count from the point. */
static enum err
read_fraction(struct parsing *p, const struct node *node, int digits, int *field)
{
    int number = 0;
    int used = 0;
    TRY(read_number(p, node, digits, &number, &used));
    for (int i = used; i < digits; i++) {
        number *= 10;
    }
    return set_field(p, node, field, number);
}

static enum err
read_zone_hour(struct parsing *p, const struct node *node, uint8_t before)
{
    /* A sign that was taken for a separator counts too. */
    if (p->rest.size > 0 &&
        (p->rest.data[0] == '+' || p->rest.data[0] == '-' || p->rest.data[0] == ' ')) {
        p->zone_sign = p->rest.data[0] == '-' ? -1 : 1;
        advance(&p->rest, 1);
    } else {
        p->zone_sign = p->extra > 0 && before == '-' ? -1 : 1;
    }
    return read_field(p, node, 2, &p->zone_hour);
}

static enum err
read_pattern(struct parsing *p, const struct node *node, uint8_t before)
{
    static const char *const eras_dots[] = {"a.d.", "b.c."};
    static const char *const eras[] = {"ad", "bc"};
    static const char *const halves_dots[] = {"a.m.", "p.m."};
    static const char *const halves[] = {"am", "pm"};
    static const char *const roman[12] = {
        "XII", "XI", "X", "IX", "VIII", "VII", "VI", "V", "IV", "III", "II", "I"};
    int number = 0;
    int used = 0;
    enum convention gregorian = CONVENTION_GREGORIAN;
    enum convention iso = CONVENTION_ISO_WEEK;
    switch (node->pattern) {
    case P_FX:
        p->fixed = true;
        return ERR_OK;
    case P_AM:
    case P_AM_DOTS:
        TRY(read_word(p, node, node->pattern == P_AM ? halves : halves_dots, 2, 9, &number));
        p->clock12 = true;
        return set_field(p, node, &p->half, number);
    case P_HH12:
        p->clock12 = true;
        return read_field(p, node, 2, &p->hour);
    case P_HH24:
        return read_field(p, node, 2, &p->hour);
    case P_MI:
        return read_field(p, node, 2, &p->minute);
    case P_SS:
        return read_field(p, node, 2, &p->second);
    case P_MS:
        return read_fraction(p, node, 3, &p->ms);
    case P_US:
        return read_fraction(p, node, 6, &p->us);
    case P_FF: {
        int digits = node->digits & 0xFF;
        int value = 0;
        TRY(read_number(p, node, digits, &value, &used));
        for (int i = used; i < 6 && value < 1000000; i++) {
            value *= 10;
        }
        return set_field(p, node, &p->us, value);
    }
    case P_SSSS:
        return read_field(p, node, (int)strlen(node->name), &p->day_second);
    case P_TZ:
    case P_OF:
        return diag_set(p->eval->diag, ERR_FEATURE_NOT_SUPPORTED,
            "formatting field \"%s\" is only supported in to_char", node->name);
    case P_TZH:
        return read_zone_hour(p, node, before);
    case P_TZM:
        p->zone_sign = p->zone_sign == 0 ? 1 : p->zone_sign;
        return read_field(p, node, 2, &p->zone_minute);
    case P_AD:
    case P_AD_DOTS:
        TRY(read_word(p, node, node->pattern == P_AD ? eras : eras_dots, 2, 9, &number));
        return set_field(p, node, &p->before_christ, number);
    case P_MONTH:
        TRY(set_convention(p, gregorian));
        TRY(read_word(p, node, month_names, 12, 9, &number));
        return set_field(p, node, &p->month, number + 1);
    case P_MON:
        TRY(set_convention(p, gregorian));
        TRY(read_word(p, node, month_names, 12, 3, &number));
        return set_field(p, node, &p->month, number + 1);
    case P_MM:
        TRY(set_convention(p, gregorian));
        return read_field(p, node, 2, &p->month);
    case P_DAY:
    case P_DY:
        TRY(read_word(p, node, day_names, 7, node->pattern == P_DY ? 3 : 9, &number));
        return set_field(p, node, &p->weekday, number + 1);
    case P_DDD:
        TRY(set_convention(p, gregorian));
        return read_field(p, node, 3, &p->year_day);
    case P_IDDD:
        TRY(set_convention(p, iso));
        return read_field(p, node, 3, &p->year_day);
    case P_DD:
        TRY(set_convention(p, gregorian));
        return read_field(p, node, 2, &p->day);
    case P_D:
        return read_field(p, node, 1, &p->weekday);
    case P_ID:
        TRY(set_convention(p, iso));
        TRY(read_number(p, node, 1, &number, &used));
        /* Sunday is 1 inside. */
        return set_field(p, node, &p->weekday, number + 1 > 7 ? 1 : number + 1);
    case P_WW:
        TRY(set_convention(p, gregorian));
        return read_field(p, node, 2, &p->week_of_year);
    case P_IW:
        TRY(set_convention(p, iso));
        return read_field(p, node, 2, &p->week_of_year);
    case P_Q: /* says too little about a date */
        return read_number(p, node, 1, &number, &used);
    case P_CC:
        return read_field(p, node, 2, &p->century);
    case P_Y_YYY:
        return read_comma_year(p, node);
    case P_YYYY:
        return read_year(p, node, 4, gregorian);
    case P_IYYY:
        return read_year(p, node, 4, iso);
    case P_YYY:
        return read_year(p, node, 3, gregorian);
    case P_IYY:
        return read_year(p, node, 3, iso);
    case P_YY:
        return read_year(p, node, 2, gregorian);
    case P_IY:
        return read_year(p, node, 2, iso);
    case P_Y:
        return read_year(p, node, 1, gregorian);
    case P_I:
        return read_year(p, node, 1, iso);
    case P_RM:
        TRY(set_convention(p, gregorian));
        TRY(read_word(p, node, roman, 12, 9, &number));
        return set_field(p, node, &p->month, 12 - number);
    case P_W:
        TRY(set_convention(p, gregorian));
        return read_field(p, node, 1, &p->week_of_month);
    case P_J:
        return read_field(p, node, 1, &p->julian);
    }
    return ERR_OK;
}

static enum err
read_template(struct parsing *p)
{
    const struct template *t = p->template;
    for (p->at = 0; p->at < t->count && p->rest.size > 0; p->at++) {
        const struct node *node = &t->nodes[p->at];
        if (!p->fixed && (p->at == 0 || node->kind == NODE_PATTERN)) {
            size_t skip = blanks(p->rest);
            p->extra += (int)skip;
            advance(&p->rest, skip);
            if (p->rest.size == 0) {
                break;
            }
        }
        if (node->kind == NODE_SEPARATOR || node->kind == NODE_BLANK) {
            if (p->fixed) {
                advance(&p->rest, character_size(p->rest));
                continue;
            }
            p->extra--;
            if (isspace(p->rest.data[0]) || is_separator(p->rest.data[0])) {
                advance(&p->rest, 1);
                p->extra++;
            }
        } else if (node->kind == NODE_LETTER) {
            if (!p->fixed && p->extra > 0) {
                p->extra--;
            } else {
                advance(&p->rest, character_size(p->rest));
            }
        } else {
            uint8_t before = p->rest.data > p->text.data ? p->rest.data[-1] : 0;
            TRY(read_pattern(p, node, before));
            if (node->pattern != P_FX) {
                skip_ordinal(p, node);
            }
            if (!p->fixed) {
                p->extra = 0;
                while (p->rest.size > 0 && isspace(p->rest.data[0])) {
                    advance(&p->rest, 1);
                    p->extra++;
                }
            }
        }
    }
    return ERR_OK;
}

static enum err
out_of_range(struct parsing *p)
{
    return diag_set(p->eval->diag, ERR_DATETIME_OVERFLOW,
        "date/time field value out of range: \"%.*s\"",
        (int)(p->text.size > 200 ? 200 : p->text.size), (const char *)p->text.data);
}

static int64_t
iso_week_start(int64_t year, int week)
{
    int64_t fourth = date__from_civil(year, 1, 4); /* always in week 1 */
    return fourth - date__iso_weekday(fourth) + 1 + (int64_t)(week - 1) * 7;
}

/* *has_year: one was named in any way. */
static void
assemble_year(const struct parsing *p, int64_t *year, bool *has_year)
{
    int64_t cc = p->before_christ != 0 ? -p->century : p->century;
    *has_year = p->year != 0 || p->century != 0;
    *year = 0;
    if (p->year != 0 && p->century != 0 && p->year_digits <= 2) {
        int64_t rest = p->year % 100;
        *year = rest == 0 ? cc * 100 + (cc >= 0 ? 0 : 1)
                : cc >= 0 ? rest + (cc - 1) * 100
                          : (cc + 1) * 100 - rest + 1;
    } else if (p->year != 0) {
        *year = p->before_christ != 0 ? -(int64_t)p->year : p->year;
        *year += *year < 0 ? 1 : 0;
    } else if (p->century != 0) {
        *year = cc >= 0 ? (cc - 1) * 100 + 1 : cc * 100 + 1;
    }
}

static enum err
assemble_date(struct parsing *p, struct civil *c)
{
    bool has_year = false;
    int year_day = p->year_day;
    int day = p->day;
    assemble_year(p, &c->year, &has_year);
    c->month = 1;
    c->day = 1;
    if (p->julian != 0) {
        date__to_civil(p->julian - JULIAN_2000, &c->year, &c->month, &c->day);
    }
    if (p->week_of_year != 0) {
        if (p->convention == CONVENTION_ISO_WEEK) {
            int weekday = p->weekday == 0 ? 1 : p->weekday == 1 ? 7 : p->weekday - 1;
            date__to_civil(iso_week_start(c->year, p->week_of_year) + weekday - 1, &c->year,
                &c->month, &c->day);
        } else {
            year_day = (p->week_of_year - 1) * 7 + 1;
        }
    }
    if (p->week_of_month != 0) {
        day = (p->week_of_month - 1) * 7 + 1;
    }
    c->day = day != 0 ? day : c->day;
    c->month = p->month != 0 ? p->month : c->month;
    if (year_day != 0 && (c->month <= 1 || c->day <= 1)) {
        if (!has_year && p->before_christ == 0) {
            return diag_set(p->eval->diag, ERR_DATETIME_FORMAT,
                "cannot calculate day of year without year information");
        }
        if (p->convention == CONVENTION_ISO_WEEK) {
            date__to_civil(iso_week_start(c->year, 1) + year_day - 1, &c->year, &c->month, &c->day);
        } else {
            int leap = date__month_days(c->year, 2) == 29 ? 1 : 0;
            if (year_day < 1 || year_day > 365 + leap) {
                return out_of_range(p);
            }
            int64_t year = c->year;
            date__to_civil(
                date__from_civil(year, 1, 1) + year_day - 1, &c->year, &c->month, &c->day);
        }
    }
    return c->month < 1 || c->month > 12 || c->day < 1 ||
                   c->day > date__month_days(c->year, c->month)
               ? out_of_range(p)
               : ERR_OK;
}

static enum err
assemble_time(struct parsing *p, struct civil *c)
{
    c->hour = p->hour;
    c->minute = p->minute;
    c->second = p->second;
    if (p->day_second != 0) {
        c->hour = p->day_second / 3600;
        c->minute = p->day_second / 60 % 60;
        c->second = p->day_second % 60;
    }
    if (p->clock12) {
        if (c->hour < 1 || c->hour > 12) {
            enum err err = diag_set(p->eval->diag, ERR_DATETIME_FORMAT,
                "hour \"%d\" is invalid for the 12-hour clock", c->hour);
            diag_hint(p->eval->diag, "Use the 24-hour clock, or give an hour between 1 and 12.");
            return err;
        }
        if (p->half != 0 && c->hour < 12) {
            c->hour += 12;
        } else if (p->half == 0 && c->hour == 12) {
            c->hour = 0;
        }
    }
    int64_t us = p->ms * INT64_C(1000) + p->us;
    bool fits = c->hour >= 0 && c->hour < 24 && c->minute >= 0 && c->minute < 60 &&
                c->second >= 0 && c->second < 60 && us >= 0 && us < USECS_PER_SECOND;
    c->us = (int)(fits ? us : 0);
    return fits ? ERR_OK : out_of_range(p);
}

static enum err
read_moment(
    struct eval *eval, const struct datum *args, struct civil *c, bool *has_zone, int32_t *offset)
{
    struct template t = template_parse(eval->arena, datum_slice(args[1]));
    struct parsing p = {
        .eval = eval, .text = datum_slice(args[0]), .rest = datum_slice(args[0]), .template = &t};
    TRY(read_template(&p));
    TRY(assemble_time(&p, c));
    TRY(assemble_date(&p, c));
    *has_zone = p.zone_sign != 0;
    *offset = 0;
    if (*has_zone) {
        if (p.zone_hour < 0 || p.zone_hour > 15 || p.zone_minute < 0 || p.zone_minute > 59) {
            return diag_set(eval->diag, ERR_ZONE_DISPLACEMENT,
                "time zone displacement out of range: \"%.*s\"",
                (int)(p.text.size > 200 ? 200 : p.text.size), (const char *)p.text.data);
        }
        *offset = p.zone_sign * (p.zone_hour * 3600 + p.zone_minute * 60);
    }
    return ERR_OK;
}

FN(to_timestamp)
{
    UNUSED_COUNT;
    struct civil c;
    bool has_zone = false;
    int32_t offset = 0;
    TRY(read_moment(eval, args, &c, &has_zone, &offset));
    *result = datum_int(0);
    if (!timestamp__from_civil(&c, &result->i)) {
        return timestamp__range(eval);
    }
    if (has_zone) {
        result->i -= offset * USECS_PER_SECOND;
        return timestamp_valid(result->i) ? ERR_OK : timestamp__range(eval);
    }
    return zone__from_local(zone__session(eval->task, eval->env), result->i, &result->i)
               ? ERR_OK
               : timestamp__range(eval);
}

FN(to_date)
{
    UNUSED_COUNT;
    struct civil c;
    bool has_zone = false;
    int32_t offset = 0;
    TRY(read_moment(eval, args, &c, &has_zone, &offset));
    int64_t date = date__from_civil(c.year, c.month, c.day);
    if (date < DATE_LEAST || date >= DATE_END) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "date out of range: \"%.*s\"",
            (int)(args[0].size > 200 ? 200 : args[0].size), (const char *)args[0].p);
    }
    *result = datum_int(date);
    return ERR_OK;
}

#define TWO(name, oid, result, a, b, call)                                                   \
    {                                                                                        \
        name, oid, result, 2, 2, FUNCTION_STRICT | FUNCTION_STABLE, {a, b}, call, NULL, NULL \
    }

static const struct function functions[] = {
    TWO("to_char", 2049, TYPE_TEXT, TYPE_TIMESTAMP, TYPE_TEXT, to_char_timestamp),
    TWO("to_char", 1770, TYPE_TEXT, TYPE_TIMESTAMPTZ, TYPE_TEXT, to_char_timestamptz),
    TWO("to_char", 1768, TYPE_TEXT, TYPE_INTERVAL, TYPE_TEXT, to_char_interval),
    TWO("to_timestamp", 1778, TYPE_TIMESTAMPTZ, TYPE_TEXT, TYPE_TEXT, to_timestamp),
    TWO("to_date", 1780, TYPE_DATE, TYPE_TEXT, TYPE_TEXT, to_date),
};

const struct function_rows datetime_format_rows = {ROWS(functions), NULL, 0, NULL, 0};
