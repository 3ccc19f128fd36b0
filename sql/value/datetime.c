/*
 * sql/value/datetime.c - the calendar, and dates and times as text.
 *
 * Output is in the styles of DateStyle; intervals are written in datetime_interval.c. Reading is in
 * datetime_read.c and datetime_interval.c. The calendar is the proleptic Gregorian one; years are
 * astronomical inside (0 is 1 BC) and shown as people count them.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "sql/value/datetime_internal.h"

const char *const month_names[12] = {"January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December"};
const char *const day_names[7] = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

/* ---- calendar ---------------------------------------------------------------------------- */

/* The year begins in March here, so that the leap day is its last; 400 years are 146097 days. */
int64_t
date__from_civil(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 730425;
}

void
date__to_civil(int64_t date, int64_t *year, int *month, int *day)
{
    int64_t days = date + 730425;
    int64_t era = floor_div(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

int
date__month_days(int64_t year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    ASSERT(month >= 1 && month <= 12);
    return month == 2 && leap ? 29 : days[month - 1];
}

int
date__iso_weekday(int64_t date)
{
    return (int)(date + 5 - floor_div(date + 5, 7) * 7) + 1; /* 2000-01-01 was a Saturday */
}

int
date__iso_week(int64_t date, int64_t *iso_year)
{
    /* A week belongs to the year its Thursday is in. */
    int64_t thursday = date - date__iso_weekday(date) + 4;
    int month = 0;
    int day = 0;
    date__to_civil(thursday, iso_year, &month, &day);
    return (int)((thursday - date__from_civil(*iso_year, 1, 1)) / 7) + 1;
}

void
timestamp__to_civil(int64_t timestamp, struct civil *civil)
{
    int64_t date = floor_div(timestamp, USECS_PER_DAY);
    int64_t time = timestamp - date * USECS_PER_DAY;
    date__to_civil(date, &civil->year, &civil->month, &civil->day);
    civil->hour = (int)(time / USECS_PER_HOUR);
    civil->minute = (int)(time / USECS_PER_MINUTE % 60);
    civil->second = (int)(time / USECS_PER_SECOND % 60);
    civil->us = (int)(time % USECS_PER_SECOND);
}

int64_t
civil__time(const struct civil *civil)
{
    return civil->hour * USECS_PER_HOUR + civil->minute * USECS_PER_MINUTE +
           civil->second * USECS_PER_SECOND + civil->us;
}

bool
timestamp__from_civil(const struct civil *civil, int64_t *timestamp)
{
    /* Beyond these years the days would overflow below. */
    if (civil->year < -4800 || civil->year > 300000) {
        return false;
    }
    int64_t date = date__from_civil(civil->year, civil->month, civil->day);
    return !__builtin_mul_overflow(date, USECS_PER_DAY, timestamp) &&
           !__builtin_add_overflow(*timestamp, civil__time(civil), timestamp) &&
           timestamp_valid(*timestamp);
}

enum err
timestamp__range(struct eval *eval)
{
    return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "timestamp out of range");
}

enum err
interval__range(struct eval *eval)
{
    return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "interval out of range");
}

/* ---- writing ----------------------------------------------------------------------------- */

static uint8_t *
put_two(uint8_t *at, int number)
{
    at[0] = (uint8_t)('0' + number / 10);
    at[1] = (uint8_t)('0' + number % 10);
    return at + 2;
}

/* hh:mm:ss and what there is of a fraction. */
static uint8_t *
put_time(uint8_t *at, int hour, int minute, int second, int us)
{
    at = put_two(at, hour);
    *at++ = ':';
    at = put_two(at, minute);
    *at++ = ':';
    at = put_two(at, second);
    if (us != 0) {
        *at++ = '.';
        int size = 6;
        for (; us % 10 == 0; us /= 10) {
            size--;
        }
        for (int i = size - 1; i >= 0; i--, us /= 10) {
            at[i] = (uint8_t)('0' + us % 10);
        }
        at += size;
    }
    return at;
}

/* Without the era: a year before 1 counts backwards. */
static uint8_t *
put_date(uint8_t *at, int64_t year, int month, int day)
{
    int64_t shown = year > 0 ? year : 1 - year;
    if (shown < 10000) {
        at = put_two(at, (int)(shown / 100));
        at = put_two(at, (int)(shown % 100));
    } else {
        at += snprintf((char *)at, 12, "%lld", (long long)shown);
    }
    *at++ = '-';
    at = put_two(at, month);
    *at++ = '-';
    return put_two(at, day);
}

static uint8_t *
put_zone(uint8_t *at, int32_t offset)
{
    int32_t size = offset < 0 ? -offset : offset;
    *at++ = offset < 0 ? '-' : '+';
    at = put_two(at, size / 3600);
    if (size % 3600 != 0) {
        *at++ = ':';
        at = put_two(at, size / 60 % 60);
    }
    if (size % 60 != 0) {
        *at++ = ':';
        at = put_two(at, size % 60);
    }
    return at;
}

enum {
    OUTPUT_MAX = 80
};

/* A year without its sign, of four digits at least. */
static uint8_t *
put_year(uint8_t *at, int64_t year)
{
    int64_t shown = year > 0 ? year : 1 - year;
    return at + snprintf((char *)at, 16, "%04lld", (long long)shown);
}

/* As other styles than ISO have it, the year last. */
static uint8_t *
put_styled_date(uint8_t *at, enum date_style style, bool day_first, const struct civil *civil)
{
    uint8_t between = style == DATE_STYLE_SQL ? '/' : style == DATE_STYLE_GERMAN ? '.' : '-';
    day_first = day_first || style == DATE_STYLE_GERMAN;
    at = put_two(at, day_first ? civil->day : civil->month);
    *at++ = between;
    at = put_two(at, day_first ? civil->month : civil->day);
    *at++ = between;
    return put_year(at, civil->year);
}

static void
date_output(const struct eval_env *env, enum date_style style, int64_t date, struct buffer *to)
{
    if (!date_finite(date)) {
        buffer_add_text(to, date < 0 ? "-infinity" : "infinity");
        return;
    }
    struct civil civil;
    date__to_civil(date, &civil.year, &civil.month, &civil.day);
    uint8_t *start = buffer_reserve(to, OUTPUT_MAX);
    uint8_t *end = style == DATE_STYLE_ISO
                       ? put_date(start, civil.year, civil.month, civil.day)
                       : put_styled_date(start, style, env->date_style_order == 1, &civil);
    to->size += (size_t)(end - start);
    if (civil.year <= 0) {
        buffer_add_text(to, " BC");
    }
}

static void
time_output(int64_t time, struct buffer *to)
{
    uint8_t *start = buffer_reserve(to, OUTPUT_MAX);
    uint8_t *end =
        put_time(start, (int)(time / USECS_PER_HOUR), (int)(time / USECS_PER_MINUTE % 60),
            (int)(time / USECS_PER_SECOND % 60), (int)(time % USECS_PER_SECOND));
    to->size += (size_t)(end - start);
}

/* "Wed Feb 28 17:32:01 2024", or day and month turned round. */
static uint8_t *
put_postgres(uint8_t *at, bool day_first, int64_t date, const struct civil *civil)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t weekday = (date + 6) % 7; /* 2000-01-01 was a Saturday */
    memcpy(at, &days[3 * (weekday < 0 ? weekday + 7 : weekday)], 3);
    at += 3;
    *at++ = ' ';
    if (day_first) {
        at = put_two(at, civil->day);
        *at++ = ' ';
    }
    memcpy(at, &months[3 * (civil->month - 1)], 3);
    at += 3;
    *at++ = ' ';
    if (!day_first) {
        at = put_two(at, civil->day);
        *at++ = ' ';
    }
    at = put_time(at, civil->hour, civil->minute, civil->second, civil->us);
    *at++ = ' ';
    return put_year(at, civil->year);
}

/* In local time, whose offset and name belong to a timestamp with time zone. */
static uint8_t *
put_styled(uint8_t *at, const struct eval_env *env, enum date_style style, int64_t local,
    const struct civil *civil)
{
    bool day_first = env->date_style_order == 1;
    if (style == DATE_STYLE_POSTGRES) {
        return put_postgres(at, day_first, floor_div(local, USECS_PER_DAY), civil);
    }
    at = put_styled_date(at, style, day_first, civil);
    *at++ = ' ';
    return put_time(at, civil->hour, civil->minute, civil->second, civil->us);
}

enum {
    ABBREVIATION_MAX = 10, /* of which that much is shown */
};

static void
timestamp_output(const struct eval_env *env, enum date_style style, oid_t type, int64_t timestamp,
    struct buffer *to)
{
    if (!timestamp_finite(timestamp)) {
        buffer_add_text(to, timestamp < 0 ? "-infinity" : "infinity");
        return;
    }
    int32_t offset = 0;
    const char *abbreviation = NULL;
    if (type == TYPE_TIMESTAMPTZ) {
        bool daylight = false;
        offset = zone__offset(zone__session(NULL, env),
            floor_div(timestamp, USECS_PER_SECOND) + UNIX_TO_2000, &daylight, &abbreviation);
        /* Near the ends of time the local time may lie beyond them; it is shown all the same. */
        timestamp += offset * USECS_PER_SECOND;
    }
    struct civil civil;
    timestamp__to_civil(timestamp, &civil);
    uint8_t *start = buffer_reserve(to, OUTPUT_MAX);
    uint8_t *at;
    if (style == DATE_STYLE_ISO) {
        at = put_date(start, civil.year, civil.month, civil.day);
        *at++ = ' ';
        at = put_time(at, civil.hour, civil.minute, civil.second, civil.us);
    } else {
        at = put_styled(start, env, style, timestamp, &civil);
    }
    if (type == TYPE_TIMESTAMPTZ && style != DATE_STYLE_ISO && abbreviation != NULL) {
        at += snprintf((char *)at, ABBREVIATION_MAX + 2, " %.*s", ABBREVIATION_MAX, abbreviation);
    } else if (type == TYPE_TIMESTAMPTZ) {
        if (style == DATE_STYLE_POSTGRES) {
            *at++ = ' ';
        }
        at = put_zone(at, offset);
    }
    to->size += (size_t)(at - start);
    if (civil.year <= 0) {
        buffer_add_text(to, " BC");
    }
}

static void
output_in(const struct eval_env *env, enum date_style style, oid_t type, struct datum value,
    struct buffer *to)
{
    switch (type) {
    case TYPE_DATE:
        date_output(env, style, value.i, to);
        return;
    case TYPE_TIME:
        time_output(value.i, to);
        return;
    case TYPE_INTERVAL:
        interval__output(env, interval_of(value), to);
        return;
    default:
        timestamp_output(env, style, type, value.i, to);
    }
}

void
datetime__output(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to)
{
    output_in(env, env == NULL ? DATE_STYLE_ISO : env->date_style, type, value, to);
}

void
datetime__output_iso(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to)
{
    output_in(env, DATE_STYLE_ISO, type, value, to);
}

/* ---- the switchboard of reading ---------------------------------------------------------- */

enum err
datetime__input(
    struct eval *eval, oid_t type, int32_t typmod, struct slice text, struct datum *value)
{
    struct datum read;
    if (type == TYPE_INTERVAL) {
        struct interval interval;
        TRY(interval__input(eval, typmod, text, &interval));
        read = interval__datum(eval->arena, interval);
    } else {
        int64_t number = 0;
        TRY(datetime__read(eval, type, text, &number));
        read = datum_int(number);
    }
    return type_apply_typmod(eval, type, typmod, false, read, value);
}
