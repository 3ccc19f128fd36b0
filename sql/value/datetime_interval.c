/*
 * sql/value/datetime_interval.c - intervals from and to text.
 *
 * Three numbers that do not mix: months, days, microseconds. What is read comes as pieces (of
 * datetime_read.c) walked from the end, because a unit follows its number; or in ISO 8601's form,
 * which begins with P.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sql/value/datetime_internal.h"

/* Of typmods, PostgreSQL's bits. */
enum {
    RANGE_MONTH = 1 << 1,
    RANGE_YEAR = 1 << 2,
    RANGE_DAY = 1 << 3,
    RANGE_HOUR = 1 << 10,
    RANGE_MINUTE = 1 << 11,
    RANGE_SECOND = 1 << 12,
    RANGE_FULL = 0x7FFF,
    PRECISION_FULL = 0xFFFF,
};

struct reading {
    struct pieces pieces;
    struct eval *eval;
    struct slice text;
    int range;
    int64_t years, months, days, us;
    uint32_t have; /* bit by enum datetime_unit */
};

struct datum
interval__datum(struct arena *arena, struct interval interval)
{
    uint8_t *bytes = arena_alloc_raw(arena, 16);
    store_le64(bytes, (uint64_t)interval.us);
    store_le32(bytes + 8, (uint32_t)interval.days);
    store_le32(bytes + 12, (uint32_t)interval.months);
    return datum_bytes(bytes, 16);
}

/* ---- units ------------------------------------------------------------------------------- */

/* Long words are known by their first ten letters, as PostgreSQL does: "microsecondfoo" is one. */
bool
datetime__unit(const char *word, enum datetime_unit *unit)
{
    static const struct {
        const char *word;
        enum datetime_unit unit;
    } units[] = {{"us", UNIT_MICROSECOND}, {"usec", UNIT_MICROSECOND},
        {"usecond", UNIT_MICROSECOND}, {"useconds", UNIT_MICROSECOND}, {"usecs", UNIT_MICROSECOND},
        {"microsecon", UNIT_MICROSECOND}, {"ms", UNIT_MILLISECOND}, {"msec", UNIT_MILLISECOND},
        {"msecond", UNIT_MILLISECOND}, {"mseconds", UNIT_MILLISECOND}, {"msecs", UNIT_MILLISECOND},
        {"millisecon", UNIT_MILLISECOND}, {"s", UNIT_SECOND}, {"sec", UNIT_SECOND},
        {"second", UNIT_SECOND}, {"seconds", UNIT_SECOND}, {"secs", UNIT_SECOND},
        {"m", UNIT_MINUTE}, {"min", UNIT_MINUTE}, {"mins", UNIT_MINUTE}, {"minute", UNIT_MINUTE},
        {"minutes", UNIT_MINUTE}, {"h", UNIT_HOUR}, {"hour", UNIT_HOUR}, {"hours", UNIT_HOUR},
        {"hr", UNIT_HOUR}, {"hrs", UNIT_HOUR}, {"d", UNIT_DAY}, {"day", UNIT_DAY},
        {"days", UNIT_DAY}, {"w", UNIT_WEEK}, {"week", UNIT_WEEK}, {"weeks", UNIT_WEEK},
        {"mon", UNIT_MONTH}, {"mons", UNIT_MONTH}, {"month", UNIT_MONTH}, {"months", UNIT_MONTH},
        {"qtr", UNIT_QUARTER}, {"quarter", UNIT_QUARTER}, {"y", UNIT_YEAR}, {"year", UNIT_YEAR},
        {"years", UNIT_YEAR}, {"yr", UNIT_YEAR}, {"yrs", UNIT_YEAR}, {"dec", UNIT_DECADE},
        {"decade", UNIT_DECADE}, {"decades", UNIT_DECADE}, {"decs", UNIT_DECADE},
        {"c", UNIT_CENTURY}, {"cent", UNIT_CENTURY}, {"century", UNIT_CENTURY},
        {"centuries", UNIT_CENTURY}, {"mil", UNIT_MILLENNIUM}, {"mils", UNIT_MILLENNIUM},
        {"millennia", UNIT_MILLENNIUM}, {"millennium", UNIT_MILLENNIUM},
        {"timezone", UNIT_TIMEZONE}, {"timezone_h", UNIT_TIMEZONE_HOUR},
        {"timezone_m", UNIT_TIMEZONE_MINUTE}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].word[0] == word[0] && strncmp(units[i].word, word, 10) == 0) {
            *unit = units[i].unit;
            return true;
        }
    }
    return false;
}

/* ---- adding up --------------------------------------------------------------------------- */

static enum err
bad(const struct reading *r)
{
    return datetime__invalid(r->eval, "interval", r->text);
}

static enum err
overflow(const struct reading *r)
{
    return diag_set(r->eval->diag, ERR_INTERVAL_OVERFLOW,
        "interval field value out of range: \"%.*s\"",
        (int)(r->text.size > 200 ? 200 : r->text.size), (const char *)r->text.data);
}

/* value * scale and fraction * scale microseconds. */
static enum err
add_us(struct reading *r, int64_t value, double fraction, int64_t scale)
{
    int64_t us = 0;
    if (__builtin_mul_overflow(value, scale, &us) || __builtin_add_overflow(r->us, us, &r->us)) {
        return overflow(r);
    }
    /* Truncated, then rounded by what is left of it. */
    double part = fraction * (double)scale;
    int64_t whole = (int64_t)part;
    part -= (double)whole;
    whole += part > 0.5 ? 1 : part < -0.5 ? -1 : 0;
    return __builtin_add_overflow(r->us, whole, &r->us) ? overflow(r) : ERR_OK;
}

static enum err
add_days(struct reading *r, int64_t value, double fraction, int64_t scale)
{
    int64_t days = 0;
    if (__builtin_mul_overflow(value, scale, &days) ||
        __builtin_add_overflow(r->days, days, &r->days) || r->days > INT32_MAX ||
        r->days < INT32_MIN) {
        return overflow(r);
    }
    double part = fraction * (double)scale;
    int64_t whole = (int64_t)part;
    r->days += whole;
    return add_us(r, 0, part - (double)whole, USECS_PER_DAY);
}

static enum err
add_years(struct reading *r, int64_t value, double fraction, int64_t scale)
{
    int64_t years = 0;
    if (__builtin_mul_overflow(value, scale, &years) ||
        __builtin_add_overflow(r->years, years, &r->years) || r->years > INT32_MAX ||
        r->years < INT32_MIN) {
        return overflow(r);
    }
    r->months += (int64_t)rint(fraction * (double)scale * 12);
    return ERR_OK;
}

static enum err
add_months(struct reading *r, int64_t value, double fraction)
{
    if (__builtin_add_overflow(r->months, value, &r->months) || r->months > INT32_MAX ||
        r->months < INT32_MIN) {
        return overflow(r);
    }
    return add_days(r, 0, fraction, 30);
}

static enum err
add_unit(struct reading *r, enum datetime_unit unit, int64_t value, double fraction)
{
    switch (unit) {
    case UNIT_MICROSECOND:
        return add_us(r, value, fraction, 1);
    case UNIT_MILLISECOND:
        return add_us(r, value, fraction, 1000);
    case UNIT_SECOND:
        return add_us(r, value, fraction, USECS_PER_SECOND);
    case UNIT_MINUTE:
        return add_us(r, value, fraction, USECS_PER_MINUTE);
    case UNIT_HOUR:
        return add_us(r, value, fraction, USECS_PER_HOUR);
    case UNIT_DAY:
        return add_days(r, value, fraction, 1);
    case UNIT_WEEK:
        return add_days(r, value, fraction, 7);
    case UNIT_MONTH:
        return add_months(r, value, fraction);
    case UNIT_YEAR:
        return add_years(r, value, fraction, 1);
    case UNIT_DECADE:
        return add_years(r, value, fraction, 10);
    case UNIT_CENTURY:
        return add_years(r, value, fraction, 100);
    case UNIT_MILLENNIUM:
        return add_years(r, value, fraction, 1000);
    default:
        return bad(r);
    }
}

/* ---- pieces ------------------------------------------------------------------------------ */

static enum err
have(struct reading *r, uint32_t bits)
{
    if ((r->have & bits) != 0) {
        return bad(r);
    }
    r->have |= bits;
    return ERR_OK;
}

#define BIT(unit) ((uint32_t)1 << (unit))
#define TIME_BITS                                                                   \
    (BIT(UNIT_HOUR) | BIT(UNIT_MINUTE) | BIT(UNIT_SECOND) | BIT(UNIT_MILLISECOND) | \
        BIT(UNIT_MICROSECOND))

/* Digits to int64; *end where they stop. */
static bool
whole_number(const char *text, const char **end, int64_t *value)
{
    char *stop = NULL;
    errno = 0;
    *value = strtoll(text, &stop, 10);
    *end = stop;
    return errno == 0;
}

static enum err
fraction_of(const struct reading *r, const char *text, double *fraction)
{
    if (strspn(text + 1, "0123456789") != strlen(text + 1)) {
        return bad(r);
    }
    *fraction = text[1] == '\0' ? 0 : strtod(text, NULL);
    return ERR_OK;
}

/* hh:mm, hh:mm:ss.ff, mm:ss.ff; the sign before it makes all of it negative. */
static enum err
add_clock(struct reading *r, const char *text, bool negative)
{
    const char *at = NULL;
    int64_t parts[3] = {0};
    size_t count = 0;
    double fraction = 0;
    TRY(have(r, TIME_BITS));
    for (;;) {
        if (!whole_number(text, &at, &parts[count])) {
            return overflow(r);
        }
        if (at == text && count < 2) {
            return bad(r);
        }
        count++;
        if (*at != ':' || count == 3) {
            break;
        }
        text = at + 1;
    }
    if (count < 2 || (*at != '\0' && *at != '.')) {
        return bad(r);
    }
    if (*at == '.') {
        TRY(fraction_of(r, at, &fraction));
    }
    if (count == 2 && (*at == '.' || r->range == (RANGE_MINUTE | RANGE_SECOND))) {
        parts[2] = parts[1];
        parts[1] = parts[0];
        parts[0] = 0;
    }
    if (parts[0] < 0 || parts[1] < 0 || parts[1] > 59 || parts[2] < 0 || parts[2] > 60) {
        return overflow(r);
    }
    int64_t us =
        parts[1] * USECS_PER_MINUTE + parts[2] * USECS_PER_SECOND + (int64_t)rint(fraction * 1e6);
    int64_t hours = 0;
    if (__builtin_mul_overflow(parts[0], USECS_PER_HOUR, &hours) ||
        __builtin_add_overflow(us, hours, &us)) {
        return overflow(r);
    }
    us = negative ? -us : us;
    return __builtin_add_overflow(r->us, us, &r->us) ? overflow(r) : ERR_OK;
}

/* What a number without a unit means: interval '3' minute. */
static enum datetime_unit
unit_of_range(int range)
{
    return (range & RANGE_SECOND) != 0 || range == RANGE_FULL ? UNIT_SECOND
           : (range & RANGE_MINUTE) != 0                      ? UNIT_MINUTE
           : (range & RANGE_HOUR) != 0                        ? UNIT_HOUR
           : (range & RANGE_DAY) != 0                         ? UNIT_DAY
           : (range & RANGE_MONTH) != 0                       ? UNIT_MONTH
                                                              : UNIT_YEAR;
}

static enum err
add_number(struct reading *r, const char *text, enum datetime_unit *unit)
{
    const char *at = NULL;
    int64_t value = 0;
    double fraction = 0;
    if (*unit == UNIT_NONE) {
        *unit = unit_of_range(r->range);
    }
    if (!whole_number(text, &at, &value)) {
        return overflow(r);
    }
    if (*at == '-') { /* years-months */
        int64_t months = 0;
        const char *start = at + 1;
        if (!whole_number(start, &at, &months) || months < 0 || months >= 12) {
            return overflow(r);
        }
        if (*at != '\0' || at == start) {
            return bad(r);
        }
        *unit = UNIT_MONTH;
        months = *text == '-' ? -months : months;
        if (__builtin_mul_overflow(value, 12, &value) ||
            __builtin_add_overflow(value, months, &value)) {
            return overflow(r);
        }
    } else if (*at == '.') {
        TRY(fraction_of(r, at, &fraction));
        fraction = *text == '-' ? -fraction : fraction;
    } else if (*at != '\0' || at == text) {
        return bad(r);
    }
    enum datetime_unit own = *unit;
    TRY(add_unit(r, own, value, fraction));
    if (own == UNIT_HOUR) {
        *unit = UNIT_DAY; /* of a number before it that has none: 1 02 */
    }
    if (own == UNIT_SECOND && fraction != 0) {
        return have(r, BIT(UNIT_SECOND) | BIT(UNIT_MILLISECOND) | BIT(UNIT_MICROSECOND));
    }
    return have(r, BIT(own));
}

static enum err
read_pieces(struct reading *r)
{
    enum datetime_unit unit = UNIT_NONE;
    bool ago = false;
    for (size_t i = r->pieces.count; i-- > 0;) {
        const char *text = r->pieces.list[i].text;
        switch (r->pieces.list[i].kind) {
        case PIECE_TIME:
            TRY(add_clock(r, text, false));
            unit = UNIT_DAY;
            break;
        case PIECE_ZONE:
            if (strchr(text + 1, ':') != NULL) {
                TRY(add_clock(r, text + 1, *text == '-'));
                unit = UNIT_DAY;
            } else {
                TRY(add_number(r, text, &unit));
            }
            break;
        case PIECE_DATE:
        case PIECE_NUMBER:
            TRY(add_number(r, text, &unit));
            break;
        case PIECE_WORD:
        case PIECE_SIGNED_WORD:
            if (strcmp(text, "ago") == 0) {
                ago = true;
            } else if (!datetime__unit(text, &unit)) {
                return bad(r);
            }
            break;
        }
    }
    if (r->have == 0) {
        return bad(r);
    }
    if (ago) {
        if (r->us == INT64_MIN) {
            return overflow(r);
        }
        r->years = -r->years;
        r->months = -r->months;
        r->days = -r->days;
        r->us = -r->us;
    }
    return ERR_OK;
}

/* ---- ISO 8601: P1Y2M3DT4H5M6S, P0001-02-03T04:05:06, P00010203T040506 ----------------------- */

static bool
iso_number(const char **text, int64_t *value, double *fraction)
{
    const char *start = *text;
    if (*start == '\0' || strchr("0123456789-.", *start) == NULL) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    double number = strtod(start, &end);
    if (end == start || errno != 0 || number < -1e15 || number > 1e15) {
        return false;
    }
    *text = end;
    *value = (int64_t)(number >= 0 ? floor(number) : -floor(-number));
    *fraction = number - (double)*value;
    return true;
}

static enum err
iso_basic(struct reading *r, bool date, int64_t value)
{
    if (date) {
        TRY(add_years(r, value / 10000, 0, 1));
        TRY(add_months(r, value / 100 % 100, 0));
        return add_days(r, value % 100, 0, 1);
    }
    TRY(add_us(r, value / 10000, 0, USECS_PER_HOUR));
    TRY(add_us(r, value / 100 % 100, 0, USECS_PER_MINUTE));
    return add_us(r, value % 100, 0, USECS_PER_SECOND);
}

static enum err
read_iso(struct reading *r, const char *at)
{
    static const char date_letters[] = "YMWD";
    static const enum datetime_unit date_units[] = {UNIT_YEAR, UNIT_MONTH, UNIT_WEEK, UNIT_DAY};
    static const char time_letters[] = "HMS";
    static const enum datetime_unit time_units[] = {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    bool date = true;
    bool any = false;
    size_t extended = 0; /* fields seen of the form with separators */
    r->years = r->months = r->days = r->us = 0;
    if (*at++ != 'P' || *at == '\0') {
        return bad(r);
    }
    while (*at != '\0') {
        if (*at == 'T') {
            date = false;
            any = false;
            extended = 0;
            at++;
            continue;
        }
        int64_t value = 0;
        double fraction = 0;
        const char *start = at;
        if (!iso_number(&at, &value, &fraction)) {
            return bad(r);
        }
        const char *letters = date ? date_letters : time_letters;
        const char *letter = *at == '\0' ? NULL : strchr(letters, *at);
        if (letter != NULL && extended == 0) {
            TRY(add_unit(r, (date ? date_units : time_units)[letter - letters], value, fraction));
            at++;
        } else if (*at == (date ? '-' : ':') || extended > 0) {
            static const enum datetime_unit days[3] = {UNIT_YEAR, UNIT_MONTH, UNIT_DAY};
            if (extended >= 3 || (any && extended == 0)) {
                return bad(r);
            }
            TRY(add_unit(r, date ? days[extended] : time_units[extended], value, fraction));
            extended++;
            if (*at == (date ? '-' : ':')) {
                at++;
            } else if (*at != '\0' && *at != 'T') {
                return bad(r);
            }
        } else if (*at == '\0' || (*at == 'T' && date)) {
            size_t width = strspn(start, "0123456789");
            if (!any && width == (date ? 8U : 6U)) {
                TRY(iso_basic(r, date, value));
                if (!date) {
                    TRY(add_us(r, 0, fraction, USECS_PER_SECOND));
                }
            } else if (!any) {
                TRY(add_unit(r, date ? UNIT_YEAR : UNIT_HOUR, value, fraction));
            } else {
                return bad(r);
            }
        } else {
            return bad(r);
        }
        any = true;
    }
    return ERR_OK;
}

/* ---- the whole --------------------------------------------------------------------------- */

static int64_t
cut_to(int64_t value, int64_t unit)
{
    return value / unit * unit;
}

/* Keep the fields of interval(p), interval day to minute.. */
enum err
interval__apply_typmod(struct eval *eval, int32_t typmod, struct interval *interval)
{
    if (typmod < 0) {
        return ERR_OK;
    }
    int range = typmod >> 16 & RANGE_FULL;
    int precision = typmod & PRECISION_FULL;
    switch (range) {
    case RANGE_YEAR:
        interval->months = interval->months / 12 * 12;
        interval->days = 0;
        interval->us = 0;
        break;
    case RANGE_MONTH:
    case RANGE_YEAR | RANGE_MONTH:
        interval->days = 0;
        interval->us = 0;
        break;
    case RANGE_DAY:
        interval->us = 0;
        break;
    case RANGE_HOUR:
    case RANGE_DAY | RANGE_HOUR:
        interval->us = cut_to(interval->us, USECS_PER_HOUR);
        break;
    case RANGE_MINUTE:
    case RANGE_HOUR | RANGE_MINUTE:
    case RANGE_DAY | RANGE_HOUR | RANGE_MINUTE:
        interval->us = cut_to(interval->us, USECS_PER_MINUTE);
        break;
    default: /* down to seconds: nothing to cut */
        break;
    }
    if (precision < 6) {
        int64_t unit = 1;
        for (int i = precision; i < 6; i++) {
            unit *= 10;
        }
        int64_t half = interval->us < 0 ? -(unit / 2) : unit / 2;
        if (__builtin_add_overflow(interval->us, half, &interval->us)) {
            return interval__range(eval);
        }
        interval->us = cut_to(interval->us, unit);
    }
    return ERR_OK;
}

enum err
interval__datum_typmod(struct eval *eval, int32_t typmod, struct datum value, struct datum *result)
{
    struct interval interval = interval_of(value);
    TRY(interval__apply_typmod(eval, typmod, &interval));
    *result = interval__datum(eval->arena, interval);
    return ERR_OK;
}

/* In IntervalStyle sql_standard a minus at the start, the only sign there is, counts for all. */
static bool
leads_with_minus(struct slice text)
{
    bool first = true, leads = false;
    for (size_t i = 0; i < text.size; i++) {
        bool begins = text.data[i] != ' ' && (i == 0 || text.data[i - 1] == ' ');
        bool sign = begins && (text.data[i] == '-' || text.data[i] == '+');
        if (first && begins) {
            leads = text.data[i] == '-';
            first = false;
        } else if (sign) {
            return false;
        }
    }
    return leads;
}

enum err
interval__input(struct eval *eval, int32_t typmod, struct slice text, struct interval *interval)
{
    struct reading r = {.eval = eval, .text = text, .range = RANGE_FULL};
    if (typmod >= 0) {
        r.range = typmod >> 16 & RANGE_FULL;
    }
    enum err err = datetime__cut(text, &r.pieces) ? read_pieces(&r) : bad(&r);
    if (err == ERR_DATETIME_FORMAT) {
        err = read_iso(&r, arena_strndup(eval->arena, (const char *)text.data, text.size));
    }
    TRY(err);
    if (eval->env != NULL && eval->env->interval_style == INTERVAL_STYLE_SQL &&
        leads_with_minus(text)) {
        r.years = r.years > 0 ? -r.years : r.years;
        r.months = r.months > 0 ? -r.months : r.months;
        r.days = r.days > 0 ? -r.days : r.days;
        r.us = r.us > 0 ? -r.us : r.us;
    }
    int64_t months = r.years * 12 + r.months;
    if (months < INT32_MIN || months > INT32_MAX || r.days < INT32_MIN || r.days > INT32_MAX) {
        return interval__range(eval);
    }
    *interval = (struct interval){.us = r.us, .days = (int32_t)r.days, .months = (int32_t)months};
    return ERR_OK;
}

/* ---- writing ----------------------------------------------------------------------------- */

struct writing {
    struct buffer *to;
    bool any;
    bool negative; /* the part before was */
};

static void
put_part(struct writing *w, int32_t value, const char *unit)
{
    if (value == 0) {
        return;
    }
    buffer_printf(w->to, "%s%s%d %s%s", w->any ? " " : "", w->negative && value > 0 ? "+" : "",
        value, unit, value == 1 ? "" : "s");
    w->negative = value < 0;
    w->any = true;
}

/* Hours, minutes and the like of the time of an interval; all of one sign. */
struct clock {
    int64_t hours;
    int minutes, seconds, us;
};

static struct clock
clock_of(int64_t us)
{
    return (struct clock){.hours = us / USECS_PER_HOUR,
        .minutes = (int)(us / USECS_PER_MINUTE % 60),
        .seconds = (int)(us / USECS_PER_SECOND % 60),
        .us = (int)(us % USECS_PER_SECOND)};
}

/* Without a sign. */
static void
put_seconds(struct buffer *to, int seconds, int us, bool two_digits)
{
    buffer_printf(to, two_digits ? "%02d" : "%d", abs(seconds));
    if (us != 0) {
        char digits[12];
        int size = snprintf(digits, sizeof digits, "%06d", abs(us));
        while (digits[size - 1] == '0') {
            size--;
        }
        buffer_add_u8(to, '.');
        buffer_add(to, digits, (size_t)size);
    }
}

static void
put_postgres(struct interval interval, struct buffer *to)
{
    struct writing w = {.to = to};
    put_part(&w, interval.months / 12, "year");
    put_part(&w, interval.months % 12, "mon");
    put_part(&w, interval.days, "day");
    if (interval.us == 0 && w.any) {
        return;
    }
    uint64_t us = interval.us < 0 ? 0 - (uint64_t)interval.us : (uint64_t)interval.us;
    buffer_printf(to, "%s%s%02llu:%02llu:", w.any ? " " : "",
        interval.us < 0 ? "-"
        : w.negative    ? "+"
                        : "",
        (unsigned long long)(us / 3600000000U), (unsigned long long)(us / 60000000U % 60));
    put_seconds(to, (int)(us / 1000000U % 60), (int)(us % 1000000U), true);
}

/* "@ 1 year 2 mons ago": the first part's sign is that of all; others have their own against it. */
struct verbose {
    struct buffer *to;
    bool any, ago;
};

static void
put_verbose(struct verbose *v, int64_t value, const char *unit)
{
    if (value == 0) {
        return;
    }
    if (!v->any) {
        v->ago = value < 0;
        v->any = true;
    }
    value = v->ago ? -value : value;
    buffer_printf(v->to, " %lld %s%s", (long long)value, unit, value == 1 ? "" : "s");
}

static void
put_postgres_verbose(struct interval interval, struct buffer *to)
{
    struct clock clock = clock_of(interval.us);
    struct verbose v = {.to = to};
    buffer_add_u8(to, '@');
    put_verbose(&v, interval.months / 12, "year");
    put_verbose(&v, interval.months % 12, "mon");
    put_verbose(&v, interval.days, "day");
    put_verbose(&v, clock.hours, "hour");
    put_verbose(&v, clock.minutes, "min");
    if (clock.seconds != 0 || clock.us != 0) {
        bool negative = clock.seconds < 0 || clock.us < 0;
        buffer_add_u8(to, ' ');
        if (!v.any) {
            v.ago = negative;
        } else if (negative != v.ago) {
            buffer_add_u8(to, '-');
        }
        put_seconds(to, clock.seconds, clock.us, false);
        buffer_add_text(to, abs(clock.seconds) != 1 || clock.us != 0 ? " secs" : " sec");
        v.any = true;
    }
    buffer_add_text(to, !v.any ? " 0" : v.ago ? " ago" : "");
}

static void
put_sql_standard(struct interval interval, struct buffer *to)
{
    bool negative = interval.months < 0 || interval.days < 0 || interval.us < 0;
    bool positive = interval.months > 0 || interval.days > 0 || interval.us > 0;
    bool long_part = interval.months != 0;
    bool short_part = interval.days != 0 || interval.us != 0;
    bool standard = !(negative && positive) && !(long_part && short_part);
    if (!negative && !positive) {
        buffer_add_text(to, "0");
        return;
    }
    long long months = llabs((long long)interval.months), days = llabs((long long)interval.days);
    struct clock clock = clock_of(interval.us);
    long long hours = llabs((long long)clock.hours);
    if (!standard) {
        buffer_printf(to, "%c%lld-%lld %c%lld %c%lld:%02d:", interval.months < 0 ? '-' : '+',
            months / 12, months % 12, interval.days < 0 ? '-' : '+', days,
            interval.us < 0 ? '-' : '+', hours, abs(clock.minutes));
        put_seconds(to, clock.seconds, clock.us, true);
        return;
    }
    buffer_add_text(to, negative ? "-" : "");
    if (long_part) {
        buffer_printf(to, "%lld-%lld", months / 12, months % 12);
        return;
    }
    if (interval.days != 0) {
        buffer_printf(to, "%lld ", days);
    }
    buffer_printf(to, "%lld:%02d:", hours, abs(clock.minutes));
    put_seconds(to, clock.seconds, clock.us, true);
}

static void
put_iso_part(struct buffer *to, int64_t value, char unit)
{
    if (value != 0) {
        buffer_printf(to, "%lld%c", (long long)value, unit);
    }
}

static void
put_iso_8601(struct interval interval, struct buffer *to)
{
    struct clock clock = clock_of(interval.us);
    if (interval.months == 0 && interval.days == 0 && interval.us == 0) {
        buffer_add_text(to, "PT0S");
        return;
    }
    buffer_add_u8(to, 'P');
    put_iso_part(to, interval.months / 12, 'Y');
    put_iso_part(to, interval.months % 12, 'M');
    put_iso_part(to, interval.days, 'D');
    if (interval.us != 0) {
        buffer_add_u8(to, 'T');
    }
    put_iso_part(to, clock.hours, 'H');
    put_iso_part(to, clock.minutes, 'M');
    if (clock.seconds != 0 || clock.us != 0) {
        buffer_add_text(to, clock.seconds < 0 || clock.us < 0 ? "-" : "");
        put_seconds(to, clock.seconds, clock.us, false);
        buffer_add_u8(to, 'S');
    }
}

void
interval__output(const struct eval_env *env, struct interval interval, struct buffer *to)
{
    switch (env == NULL ? INTERVAL_STYLE_POSTGRES : env->interval_style) {
    case INTERVAL_STYLE_POSTGRES:
        put_postgres(interval, to);
        return;
    case INTERVAL_STYLE_VERBOSE:
        put_postgres_verbose(interval, to);
        return;
    case INTERVAL_STYLE_SQL:
        put_sql_standard(interval, to);
        return;
    case INTERVAL_STYLE_ISO:
        put_iso_8601(interval, to);
        return;
    }
}
