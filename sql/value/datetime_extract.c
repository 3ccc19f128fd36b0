/*
 * sql/value/datetime_extract.c - extract, date_part, date_trunc, date_bin.
 *
 * extract is exact (numeric), date_part a double; both come from one struct field. Of an infinite
 * time, what grows for ever is infinite and what goes round is null.
 */
#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sql/value/datetime_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

enum {
    UNIT_NAME_MAX = 64
};

struct field {
    __int128 mantissa;
    int scale;
    double f; /* for date_part */
    bool null;
    bool has_fraction; /* of a day: for the julian day */
    int infinite;      /* -1, 1 */
};

static struct field
whole(int64_t number)
{
    return (struct field){.mantissa = number, .f = (double)number};
}

static struct field
decimal(__int128 mantissa, int scale, double f)
{
    return (struct field){.mantissa = mantissa, .scale = scale, .f = f};
}

/* ---- which field ------------------------------------------------------------------------- */

static enum err
not_recognized(struct eval *eval, oid_t type, const char *name)
{
    return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
        "unit \"%s\" not recognized for type %s", name, type_by_oid(type)->sql_name);
}

static enum err
not_supported(struct eval *eval, oid_t type, const char *name)
{
    return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "unit \"%s\" not supported for type %s",
        name, type_by_oid(type)->sql_name);
}

/* A unit's name in lower case, cut to a size that matters. */
static const char *
unit_name(struct datum text, char name[UNIT_NAME_MAX])
{
    size_t size = text.size < UNIT_NAME_MAX - 1 ? text.size : UNIT_NAME_MAX - 1;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = text.p[i];
        name[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    name[size] = '\0';
    return name;
}

static enum err
find_unit(struct eval *eval, oid_t type, const char *name, enum datetime_unit *unit)
{
    static const struct {
        const char *word;
        enum datetime_unit unit;
    } others[] = {{"dow", UNIT_DOW}, {"doy", UNIT_DOY}, {"epoch", UNIT_EPOCH},
        {"isodow", UNIT_ISODOW}, {"isoyear", UNIT_ISOYEAR}, {"julian", UNIT_JULIAN},
        {"jd", UNIT_JULIAN}, {"j", UNIT_JULIAN}};
    if (datetime__unit(name, unit)) {
        return ERR_OK;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(others[i].word, name) == 0) {
            *unit = others[i].unit;
            return ERR_OK;
        }
    }
    return not_recognized(eval, type, name);
}

/* ---- of timestamps ----------------------------------------------------------------------- */

/* Years as people count them: there is no year 0. */
static int64_t
counted_year(int64_t year)
{
    return year > 0 ? year : year - 1;
}

static int64_t
decade_of(int64_t year)
{
    return year >= 0 ? year / 10 : -((8 - (year - 1)) / 10);
}

static int64_t
span_of_years(int64_t year, int64_t size)
{
    return year > 0 ? (year + size - 1) / size : -((size - 1 - (year - 1)) / size);
}

/* What time of day has. False: another unit. */
static bool
clock_field(enum datetime_unit unit, const struct civil *c, struct field *field)
{
    int64_t us = c->second * USECS_PER_SECOND + c->us;
    switch (unit) {
    case UNIT_MICROSECOND:
        *field = whole(us);
        return true;
    case UNIT_MILLISECOND:
        *field = decimal(us, 3, c->second * 1000.0 + c->us / 1000.0);
        return true;
    case UNIT_SECOND:
        *field = decimal(us, 6, c->second + c->us / 1e6);
        return true;
    case UNIT_MINUTE:
        *field = whole(c->minute);
        return true;
    case UNIT_HOUR:
        *field = whole(c->hour);
        return true;
    default:
        return false;
    }
}

static bool
calendar_field(enum datetime_unit unit, const struct civil *c, struct field *field)
{
    int64_t date = date__from_civil(c->year, c->month, c->day);
    int64_t iso_year = 0;
    int week = date__iso_week(date, &iso_year);
    switch (unit) {
    case UNIT_DAY:
        *field = whole(c->day);
        return true;
    case UNIT_MONTH:
        *field = whole(c->month);
        return true;
    case UNIT_QUARTER:
        *field = whole((c->month - 1) / 3 + 1);
        return true;
    case UNIT_WEEK:
        *field = whole(week);
        return true;
    case UNIT_YEAR:
        *field = whole(counted_year(c->year));
        return true;
    case UNIT_DECADE:
        *field = whole(decade_of(c->year));
        return true;
    case UNIT_CENTURY:
        *field = whole(span_of_years(c->year, 100));
        return true;
    case UNIT_MILLENNIUM:
        *field = whole(span_of_years(c->year, 1000));
        return true;
    case UNIT_ISOYEAR:
        *field = whole(counted_year(iso_year));
        return true;
    case UNIT_DOW:
        *field = whole(date__iso_weekday(date) % 7);
        return true;
    case UNIT_ISODOW:
        *field = whole(date__iso_weekday(date));
        return true;
    case UNIT_DOY:
        *field = whole(date - date__from_civil(c->year, 1, 1) + 1);
        return true;
    default:
        return false;
    }
}

/* Of infinity. */
static struct field
endless(enum datetime_unit unit, bool negative)
{
    bool grows = unit == UNIT_YEAR || unit == UNIT_DECADE || unit == UNIT_CENTURY ||
                 unit == UNIT_MILLENNIUM || unit == UNIT_ISOYEAR || unit == UNIT_JULIAN ||
                 unit == UNIT_EPOCH;
    return (struct field){.null = !grows,
        .infinite = negative ? -1 : 1,
        .f = negative ? -(double)INFINITY : (double)INFINITY};
}

static bool
is_zone_unit(enum datetime_unit unit)
{
    return unit == UNIT_TIMEZONE || unit == UNIT_TIMEZONE_HOUR || unit == UNIT_TIMEZONE_MINUTE;
}

/* The julian day is the one unit whose fraction does not end; *fraction: us of a day. */
static enum err
timestamp_field(struct eval *eval, oid_t type, const char *name, int64_t timestamp,
    struct field *field, int64_t *fraction)
{
    enum datetime_unit unit = UNIT_NONE;
    TRY(find_unit(eval, type, name, &unit));
    *fraction = 0;
    if (!timestamp_finite(timestamp)) {
        *field = endless(unit, timestamp < 0);
        return ERR_OK;
    }
    if (is_zone_unit(unit) && type != TYPE_TIMESTAMPTZ) {
        return not_supported(eval, type, name);
    }
    if (unit == UNIT_EPOCH) {
        __int128 us = (__int128)timestamp + UNIX_TO_2000 * USECS_PER_SECOND;
        *field = decimal(us, 6, (double)us / 1e6);
        return ERR_OK;
    }
    int32_t offset = 0;
    if (type == TYPE_TIMESTAMPTZ) {
        bool daylight = false;
        const char *abbreviation = NULL;
        offset = zone__offset(zone__session(eval->task, eval->env),
            floor_div(timestamp, USECS_PER_SECOND) + UNIX_TO_2000, &daylight, &abbreviation);
        if (is_zone_unit(unit)) {
            *field = whole(unit == UNIT_TIMEZONE        ? offset
                           : unit == UNIT_TIMEZONE_HOUR ? offset / 3600
                                                        : offset / 60 % 60);
            return ERR_OK;
        }
        timestamp += offset * USECS_PER_SECOND;
    }
    struct civil c;
    timestamp__to_civil(timestamp, &c);
    if (unit == UNIT_JULIAN) {
        int64_t day = floor_div(timestamp, USECS_PER_DAY) + JULIAN_2000;
        *fraction = civil__time(&c);
        double seconds = c.hour * 3600.0 + c.minute * 60.0 + c.second + c.us / 1e6;
        *field = whole(day);
        field->has_fraction = true;
        field->f = (double)day + seconds / (double)SECONDS_PER_DAY;
        return ERR_OK;
    }
    return clock_field(unit, &c, field) || calendar_field(unit, &c, field)
               ? ERR_OK
               : not_supported(eval, type, name);
}

static enum err
date_field(struct eval *eval, const char *name, int64_t date, struct field *field)
{
    enum datetime_unit unit = UNIT_NONE;
    TRY(find_unit(eval, TYPE_DATE, name, &unit));
    bool clock = unit == UNIT_MICROSECOND || unit == UNIT_MILLISECOND || unit == UNIT_SECOND ||
                 unit == UNIT_MINUTE || unit == UNIT_HOUR || is_zone_unit(unit);
    if (clock) {
        return not_supported(eval, TYPE_DATE, name);
    }
    if (!date_finite(date)) {
        *field = endless(unit, date < 0);
        return ERR_OK;
    }
    if (unit == UNIT_EPOCH) {
        *field = whole(date * SECONDS_PER_DAY + UNIX_TO_2000);
        return ERR_OK;
    }
    if (unit == UNIT_JULIAN) {
        *field = whole(date + JULIAN_2000);
        return ERR_OK;
    }
    struct civil c = {0};
    date__to_civil(date, &c.year, &c.month, &c.day);
    return calendar_field(unit, &c, field) ? ERR_OK : not_supported(eval, TYPE_DATE, name);
}

static enum err
time_field(struct eval *eval, const char *name, int64_t time, struct field *field)
{
    enum datetime_unit unit = UNIT_NONE;
    TRY(find_unit(eval, TYPE_TIME, name, &unit));
    struct civil c = {.hour = (int)(time / USECS_PER_HOUR),
        .minute = (int)(time / USECS_PER_MINUTE % 60),
        .second = (int)(time / USECS_PER_SECOND % 60),
        .us = (int)(time % USECS_PER_SECOND)};
    if (unit == UNIT_EPOCH) {
        *field = decimal(time, 6, (double)time / 1e6);
        return ERR_OK;
    }
    return clock_field(unit, &c, field) ? ERR_OK : not_supported(eval, TYPE_TIME, name);
}

static enum err
interval_field(struct eval *eval, const char *name, struct interval span, struct field *field)
{
    enum datetime_unit unit = UNIT_NONE;
    TRY(find_unit(eval, TYPE_INTERVAL, name, &unit));
    int64_t years = span.months / 12;
    int64_t months = span.months % 12;
    struct civil c = {.minute = (int)(span.us / USECS_PER_MINUTE % 60),
        .second = (int)(span.us / USECS_PER_SECOND % 60),
        .us = (int)(span.us % USECS_PER_SECOND)};
    switch (unit) {
    case UNIT_HOUR:
        *field = whole(span.us / USECS_PER_HOUR);
        return ERR_OK;
    case UNIT_DAY:
        *field = whole(span.days);
        return ERR_OK;
    case UNIT_MONTH:
        *field = whole(months);
        return ERR_OK;
    case UNIT_QUARTER:
        *field = whole(months / 3 + 1);
        return ERR_OK;
    case UNIT_YEAR:
        *field = whole(years);
        return ERR_OK;
    case UNIT_DECADE:
        *field = whole(years / 10);
        return ERR_OK;
    case UNIT_CENTURY:
        *field = whole(years / 100);
        return ERR_OK;
    case UNIT_MILLENNIUM:
        *field = whole(years / 1000);
        return ERR_OK;
    case UNIT_EPOCH: {
        /* A year has 365.25 days, a month over whole years 30. */
        __int128 seconds =
            (__int128)years * 31557600 + (__int128)(months * 30 + span.days) * SECONDS_PER_DAY;
        double f = (double)span.us / 1e6 + 31557600.0 * (double)years +
                   30.0 * 86400 * (double)months + 86400.0 * span.days;
        *field = decimal(seconds * USECS_PER_SECOND + span.us, 6, f);
        return ERR_OK;
    }
    default:
        return clock_field(unit, &c, field) ? ERR_OK : not_supported(eval, TYPE_INTERVAL, name);
    }
}

/* ---- extract and date_part --------------------------------------------------------------- */

static enum err
field_of(
    struct eval *eval, oid_t type, const struct datum *args, struct field *field, int64_t *fraction)
{
    char memory[UNIT_NAME_MAX];
    const char *name = unit_name(args[0], memory);
    *fraction = 0;
    switch (type) {
    case TYPE_DATE:
        return date_field(eval, name, args[1].i, field);
    case TYPE_TIME:
        return time_field(eval, name, args[1].i, field);
    case TYPE_INTERVAL:
        return interval_field(eval, name, interval_of(args[1]), field);
    default:
        return timestamp_field(eval, type, name, args[1].i, field, fraction);
    }
}

static enum err
extract(struct eval *eval, oid_t type, const struct datum *args, struct datum *result)
{
    struct field field;
    int64_t fraction = 0;
    TRY(field_of(eval, type, args, &field, &fraction));
    if (field.null) {
        *result = datum_null();
        return ERR_OK;
    }
    if (field.infinite != 0) {
        return numeric__from_float(eval, field.f, false, result);
    }
    *result = numeric__from_int128(eval->arena, field.mantissa, field.scale);
    if (field.has_fraction) {
        struct datum part;
        TRY(numeric__divide(eval, numeric__from_int(eval->arena, fraction),
            numeric__from_int(eval->arena, USECS_PER_DAY), &part));
        return numeric__sum(eval, *result, part, result);
    }
    return ERR_OK;
}

static enum err
date_part(struct eval *eval, oid_t type, const struct datum *args, struct datum *result)
{
    struct field field;
    int64_t fraction = 0;
    TRY(field_of(eval, type, args, &field, &fraction));
    *result = field.null ? datum_null() : datum_float(field.f);
    return ERR_OK;
}

#define PARTS(name, type)                           \
    FN(extract_##name)                              \
    {                                               \
        UNUSED_COUNT;                               \
        return extract(eval, type, args, result);   \
    }                                               \
    FN(date_part_##name)                            \
    {                                               \
        UNUSED_COUNT;                               \
        return date_part(eval, type, args, result); \
    }
PARTS(time, TYPE_TIME)
PARTS(timestamp, TYPE_TIMESTAMP)
PARTS(timestamptz, TYPE_TIMESTAMPTZ)
PARTS(interval, TYPE_INTERVAL)

FN(extract_date)
{
    UNUSED_COUNT;
    return extract(eval, TYPE_DATE, args, result);
}

/* The old name sees a date as a timestamp: it has hours. */
FN(date_part_date)
{
    UNUSED_COUNT;
    struct datum both[2] = {args[0], args[1]};
    int64_t date = args[1].i;
    if (date_finite(date) && date >= TIMESTAMP_END / USECS_PER_DAY) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "date out of range for timestamp");
    }
    both[1].i = date == INT32_MIN   ? INT64_MIN
                : date == INT32_MAX ? INT64_MAX
                                    : date * USECS_PER_DAY;
    return date_part(eval, TYPE_TIMESTAMP, both, result);
}

/* ---- date_trunc -------------------------------------------------------------------------- */

/* *calendar: a unit of a day or more, so a zone's offset must be found anew. False: no such. */
static bool
truncate_civil(enum datetime_unit unit, struct civil *c, bool *calendar)
{
    struct civil day = {.year = c->year, .month = c->month, .day = c->day};
    *calendar = true;
    switch (unit) {
    case UNIT_MICROSECOND:
        *calendar = false;
        return true;
    case UNIT_MILLISECOND:
        c->us = c->us / 1000 * 1000;
        *calendar = false;
        return true;
    case UNIT_SECOND:
        c->us = 0;
        *calendar = false;
        return true;
    case UNIT_MINUTE:
        c->us = 0;
        c->second = 0;
        *calendar = false;
        return true;
    case UNIT_HOUR:
        c->us = 0;
        c->second = 0;
        c->minute = 0;
        *calendar = false;
        return true;
    case UNIT_DAY:
        break;
    case UNIT_WEEK: {
        int64_t date = date__from_civil(day.year, day.month, day.day);
        date__to_civil(date - date__iso_weekday(date) + 1, &day.year, &day.month, &day.day);
        break;
    }
    case UNIT_QUARTER:
        day.month = (day.month - 1) / 3 * 3 + 1;
        day.day = 1;
        break;
    case UNIT_MILLENNIUM:
    case UNIT_CENTURY: {
        int64_t size = unit == UNIT_CENTURY ? 100 : 1000;
        day.year = day.year > 0 ? (day.year + size - 1) / size * size - (size - 1)
                                : -((size - 1 - (day.year - 1)) / size) * size + 1;
        day.month = 1;
        day.day = 1;
        break;
    }
    case UNIT_DECADE:
        day.year = day.year > 0 ? day.year / 10 * 10 : -((8 - (day.year - 1)) / 10) * 10;
        day.month = 1;
        day.day = 1;
        break;
    case UNIT_YEAR:
        day.month = 1;
        day.day = 1;
        break;
    case UNIT_MONTH:
        day.day = 1;
        break;
    default:
        return false;
    }
    *c = day;
    return true;
}

FN(timestamp_trunc)
{
    UNUSED_COUNT;
    char memory[UNIT_NAME_MAX];
    const char *name = unit_name(args[0], memory);
    enum datetime_unit unit = UNIT_NONE;
    *result = args[1];
    if (!timestamp_finite(args[1].i)) {
        return ERR_OK;
    }
    if (!datetime__unit(name, &unit)) {
        return not_recognized(eval, TYPE_TIMESTAMP, name);
    }
    struct civil c;
    bool calendar = false;
    timestamp__to_civil(args[1].i, &c);
    if (!truncate_civil(unit, &c, &calendar)) {
        return not_supported(eval, TYPE_TIMESTAMP, name);
    }
    return timestamp__from_civil(&c, &result->i) ? ERR_OK : timestamp__range(eval);
}

static enum err
trunc_in_zone(
    struct eval *eval, const struct datum *args, const struct zone *zone, struct datum *result)
{
    char memory[UNIT_NAME_MAX];
    const char *name = unit_name(args[0], memory);
    enum datetime_unit unit = UNIT_NONE;
    *result = args[1];
    if (!timestamp_finite(args[1].i)) {
        return ERR_OK;
    }
    if (!datetime__unit(name, &unit)) {
        return not_recognized(eval, TYPE_TIMESTAMPTZ, name);
    }
    struct civil c;
    bool calendar = false;
    int64_t local = 0;
    if (!zone__to_local(zone, args[1].i, &local)) {
        return timestamp__range(eval);
    }
    timestamp__to_civil(local, &c);
    if (!truncate_civil(unit, &c, &calendar)) {
        return not_supported(eval, TYPE_TIMESTAMPTZ, name);
    }
    int64_t cut = 0;
    if (!timestamp__from_civil(&c, &cut)) {
        return timestamp__range(eval);
    }
    if (!calendar) {
        *result = datum_int(args[1].i - (local - cut));
        return ERR_OK;
    }
    return zone__from_local(zone, cut, &result->i) ? ERR_OK : timestamp__range(eval);
}

FN(timestamptz_trunc)
{
    UNUSED_COUNT;
    return trunc_in_zone(eval, args, zone__session(eval->task, eval->env), result);
}

FN(timestamptz_trunc_zone)
{
    UNUSED_COUNT;
    struct slice name = datum_slice(args[2]);
    int32_t offset = 0;
    const char *zone_name = NULL;
    const struct zone *zone = NULL;
    *result = args[1];
    if (!timestamp_finite(args[1].i)) {
        return ERR_OK;
    }
    if (zone__abbreviation(name, &offset, &zone_name)) {
        if (zone_name == NULL) {
            /* A fixed offset: truncate as a timestamp there. */
            struct datum there[2] = {args[0], args[1]};
            if (timestamp_finite(args[1].i)) {
                there[1].i += offset * USECS_PER_SECOND;
            }
            TRY(timestamp_trunc(eval, there, 2, result));
            if (timestamp_finite(args[1].i)) {
                result->i -= offset * USECS_PER_SECOND;
            }
            return ERR_OK;
        }
        name = slice_of(zone_name, strlen(zone_name));
    }
    zone = zone__find(eval->task, name);
    if (zone == NULL) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "time zone \"%.*s\" not recognized", (int)(name.size > 200 ? 200 : name.size),
            (const char *)name.data);
    }
    return trunc_in_zone(eval, args, zone, result);
}

FN(interval_trunc)
{
    UNUSED_COUNT;
    char memory[UNIT_NAME_MAX];
    const char *name = unit_name(args[0], memory);
    enum datetime_unit unit = UNIT_NONE;
    if (!datetime__unit(name, &unit)) {
        return not_recognized(eval, TYPE_INTERVAL, name);
    }
    struct interval span = interval_of(args[1]);
    int32_t months = 0;
    int64_t us = 0;
    switch (unit) {
    case UNIT_MILLENNIUM:
        months = 12000;
        break;
    case UNIT_CENTURY:
        months = 1200;
        break;
    case UNIT_DECADE:
        months = 120;
        break;
    case UNIT_YEAR:
        months = 12;
        break;
    case UNIT_QUARTER:
        months = 3;
        break;
    case UNIT_MONTH:
        months = 1;
        break;
    case UNIT_DAY:
        us = INT64_MAX;
        break;
    case UNIT_HOUR:
        us = USECS_PER_HOUR;
        break;
    case UNIT_MINUTE:
        us = USECS_PER_MINUTE;
        break;
    case UNIT_SECOND:
        us = USECS_PER_SECOND;
        break;
    case UNIT_MILLISECOND:
        us = 1000;
        break;
    case UNIT_MICROSECOND:
        us = 1;
        break;
    default: {
        enum err err = not_supported(eval, TYPE_INTERVAL, name);
        if (unit == UNIT_WEEK) {
            diag_detail(eval->diag, "Months usually have fractional weeks.");
        }
        return err;
    }
    }
    if (months > 0) {
        span = (struct interval){.months = span.months / months * months};
    } else {
        span.us = us == INT64_MAX ? 0 : span.us / us * us;
    }
    *result = interval__datum(eval->arena, span);
    return ERR_OK;
}

/* date_bin(stride, source, origin): the stride's beginning that source falls in. */
FN(bin)
{
    UNUSED_COUNT;
    struct interval stride = interval_of(args[0]);
    *result = args[1];
    if (!timestamp_finite(args[1].i)) {
        return ERR_OK;
    }
    if (!timestamp_finite(args[2].i)) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "origin out of range");
    }
    if (stride.months != 0) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years");
    }
    int64_t size = 0;
    int64_t distance = 0;
    if (__builtin_mul_overflow((int64_t)stride.days, USECS_PER_DAY, &size) ||
        __builtin_add_overflow(size, stride.us, &size)) {
        return interval__range(eval);
    }
    if (size <= 0) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "stride must be greater than zero");
    }
    if (__builtin_sub_overflow(args[1].i, args[2].i, &distance)) {
        return interval__range(eval);
    }
    result->i = args[2].i + (distance - distance % size);
    if (distance < 0 && distance % size != 0 &&
        (__builtin_sub_overflow(result->i, size, &result->i) || !timestamp_valid(result->i))) {
        return timestamp__range(eval);
    }
    return ERR_OK;
}

#define D      TYPE_DATE
#define TI     TYPE_TIME
#define TS     TYPE_TIMESTAMP
#define TZ     TYPE_TIMESTAMPTZ
#define IV     TYPE_INTERVAL
#define T      TYPE_TEXT
#define N      TYPE_NUMERIC
#define F8     TYPE_FLOAT8
#define S      FUNCTION_STRICT
#define STABLE (FUNCTION_STRICT | FUNCTION_STABLE)
#define TWO(name, oid, result, a, b, flags, call)                \
    {                                                            \
        name, oid, result, 2, 2, flags, {a, b}, call, NULL, NULL \
    }

static const struct function functions[] = {
    TWO("extract", 6199, N, T, D, S, extract_date),
    TWO("extract", 6200, N, T, TI, S, extract_time),
    TWO("extract", 6202, N, T, TS, S, extract_timestamp),
    TWO("extract", 6203, N, T, TZ, STABLE, extract_timestamptz),
    TWO("extract", 6204, N, T, IV, S, extract_interval),
    TWO("date_part", 1384, F8, T, D, S, date_part_date),
    TWO("date_part", 1385, F8, T, TI, S, date_part_time),
    TWO("date_part", 2021, F8, T, TS, S, date_part_timestamp),
    TWO("date_part", 1171, F8, T, TZ, STABLE, date_part_timestamptz),
    TWO("date_part", 1172, F8, T, IV, S, date_part_interval),
    TWO("date_trunc", 2020, TS, T, TS, S, timestamp_trunc),
    TWO("date_trunc", 1217, TZ, T, TZ, STABLE, timestamptz_trunc),
    {"date_trunc", 1284, TZ, 3, 3, STABLE, {T, TZ, T}, timestamptz_trunc_zone, NULL, NULL},
    TWO("date_trunc", 1218, IV, T, IV, S, interval_trunc),
    {"date_bin", 6177, TS, 3, 3, S, {IV, TS, TS}, bin, NULL, NULL},
    {"date_bin", 6178, TZ, 3, 3, S, {IV, TZ, TZ}, bin, NULL, NULL},
};

const struct function_rows datetime_extract_rows = {ROWS(functions), NULL, 0, NULL, 0};
