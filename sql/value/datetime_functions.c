/*
 * sql/value/datetime_functions.c - arithmetic, casts and functions of dates and times.
 *
 * What depends on the session's zone is STABLE, never folded into a plan. Adding months and days to
 * a timestamptz happens on the zone's calendar, adding microseconds does not.
 */
#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sql/value/datetime_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

static const struct zone *
session_zone(const struct eval *eval)
{
    return zone__session(eval->task, eval->env);
}

static enum err
date_range(struct eval *eval, const char *words)
{
    return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "date out of range%s", words);
}

/* ---- from one type to another ------------------------------------------------------------ */

/* Infinite dates become infinite timestamps. */
static enum err
timestamp_of_date(struct eval *eval, int64_t date, int64_t *timestamp)
{
    if (!date_finite(date)) {
        *timestamp = date < 0 ? INT64_MIN : INT64_MAX;
        return ERR_OK;
    }
    if (date >= TIMESTAMP_END / USECS_PER_DAY) {
        return date_range(eval, " for timestamp");
    }
    *timestamp = date * USECS_PER_DAY;
    return ERR_OK;
}

static enum err
to_utc(struct eval *eval, int64_t local, int64_t *utc)
{
    return zone__from_local(session_zone(eval), local, utc) ? ERR_OK : timestamp__range(eval);
}

static enum err
to_local(struct eval *eval, int64_t utc, int64_t *local)
{
    return zone__to_local(session_zone(eval), utc, local) ? ERR_OK : timestamp__range(eval);
}

static int64_t
date_of_timestamp(int64_t timestamp)
{
    return timestamp == INT64_MIN   ? INT32_MIN
           : timestamp == INT64_MAX ? INT32_MAX
                                    : floor_div(timestamp, USECS_PER_DAY);
}

FN(date_to_timestamp)
{
    UNUSED_COUNT;
    *result = datum_int(0);
    return timestamp_of_date(eval, args[0].i, &result->i);
}

FN(date_to_timestamptz)
{
    TRY(date_to_timestamp(eval, args, count, result));
    return to_utc(eval, result->i, &result->i);
}

FN(timestamp_to_date)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_int(date_of_timestamp(args[0].i));
    return ERR_OK;
}

FN(timestamptz_to_date)
{
    UNUSED_COUNT;
    *result = datum_int(0);
    TRY(to_local(eval, args[0].i, &result->i));
    result->i = date_of_timestamp(result->i);
    return ERR_OK;
}

FN(timestamp_to_timestamptz)
{
    UNUSED_COUNT;
    *result = datum_int(0);
    return to_utc(eval, args[0].i, &result->i);
}

FN(timestamptz_to_timestamp)
{
    UNUSED_COUNT;
    *result = datum_int(0);
    return to_local(eval, args[0].i, &result->i);
}

FN(timestamp_to_time)
{
    (void)eval;
    UNUSED_COUNT;
    int64_t t = args[0].i;
    *result = timestamp_finite(t) ? datum_int(t - floor_div(t, USECS_PER_DAY) * USECS_PER_DAY)
                                  : datum_null();
    return ERR_OK;
}

FN(timestamptz_to_time)
{
    struct datum local = datum_int(0);
    TRY(to_local(eval, args[0].i, &local.i));
    return timestamp_to_time(eval, &local, count, result);
}

FN(time_to_interval)
{
    UNUSED_COUNT;
    *result = interval__datum(eval->arena, (struct interval){.us = args[0].i});
    return ERR_OK;
}

FN(interval_to_time)
{
    (void)eval;
    UNUSED_COUNT;
    int64_t us = interval_of(args[0]).us;
    *result = datum_int(us - floor_div(us, USECS_PER_DAY) * USECS_PER_DAY);
    return ERR_OK;
}

FN(date_time_to_timestamp)
{
    TRY(date_to_timestamp(eval, args, count, result));
    if (timestamp_finite(result->i)) {
        result->i += args[1].i;
        return timestamp_valid(result->i) ? ERR_OK : timestamp__range(eval);
    }
    return ERR_OK;
}

FN(time_date_to_timestamp)
{
    struct datum swapped[2] = {args[1], args[0]};
    return date_time_to_timestamp(eval, swapped, count, result);
}

FN(date_time_to_timestamptz)
{
    TRY(date_time_to_timestamp(eval, args, count, result));
    return to_utc(eval, result->i, &result->i);
}

/* ---- comparing across types -------------------------------------------------------------- */

/* A date or a local timestamp as a point in time that compares with the other; what lies beyond a
 * timestamp's range lies before or behind all of them. */
static int64_t
comparable(struct eval *eval, oid_t type, int64_t value, bool utc)
{
    if (type == TYPE_DATE) {
        if (!date_finite(value) || value >= TIMESTAMP_END / USECS_PER_DAY) {
            return value == INT32_MIN ? INT64_MIN : value == INT32_MAX ? INT64_MAX : TIMESTAMP_END;
        }
        value *= USECS_PER_DAY;
    }
    if (utc && type != TYPE_TIMESTAMPTZ) {
        int64_t there = 0;
        return zone__from_local(session_zone(eval), value, &there) ? there
               : value < 0                                         ? INT64_MIN + 1
                                                                   : TIMESTAMP_END;
    }
    return value;
}

#define CROSS(name, left, right, utc, op)                                                       \
    FN(name)                                                                                    \
    {                                                                                           \
        UNUSED_COUNT;                                                                           \
        *result = datum_bool(                                                                   \
            comparable(eval, left, args[0].i, utc) op comparable(eval, right, args[1].i, utc)); \
        return ERR_OK;                                                                          \
    }
#define CROSS_SIX(name, left, right, utc)  \
    CROSS(name##_eq, left, right, utc, ==) \
    CROSS(name##_ne, left, right, utc, !=) \
    CROSS(name##_lt, left, right, utc, <)  \
    CROSS(name##_le, left, right, utc, <=) \
    CROSS(name##_gt, left, right, utc, >)  \
    CROSS(name##_ge, left, right, utc, >=)
CROSS_SIX(date_stamp, TYPE_DATE, TYPE_TIMESTAMP, false)
CROSS_SIX(stamp_date, TYPE_TIMESTAMP, TYPE_DATE, false)
CROSS_SIX(date_stamptz, TYPE_DATE, TYPE_TIMESTAMPTZ, true)
CROSS_SIX(stamptz_date, TYPE_TIMESTAMPTZ, TYPE_DATE, true)
CROSS_SIX(stamp_stamptz, TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ, true)
CROSS_SIX(stamptz_stamp, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMP, true)

/* ---- now --------------------------------------------------------------------------------- */

static int64_t
wall_clock(const struct eval *eval)
{
    return world_wall_us(eval->env->world) - UNIX_TO_2000 * USECS_PER_SECOND;
}

FN(now)
{
    (void)args;
    UNUSED_COUNT;
    *result = datum_int(eval->env->transaction_time);
    return ERR_OK;
}

FN(statement_timestamp)
{
    (void)args;
    UNUSED_COUNT;
    *result = datum_int(eval->env->statement_time);
    return ERR_OK;
}

FN(clock_timestamp)
{
    (void)args;
    UNUSED_COUNT;
    *result = datum_int(wall_clock(eval));
    return ERR_OK;
}

FN(current_date_)
{
    (void)args;
    struct datum at = datum_int(eval->env->transaction_time);
    return timestamptz_to_date(eval, &at, count, result);
}

FN(timeofday_)
{
    (void)args;
    UNUSED_COUNT;
    int64_t at = wall_clock(eval);
    int64_t local = 0;
    TRY(to_local(eval, at, &local));
    struct civil c;
    timestamp__to_civil(local, &c);
    bool daylight = false;
    const char *zone = "";
    (void)zone__offset(
        session_zone(eval), floor_div(at, USECS_PER_SECOND) + UNIX_TO_2000, &daylight, &zone);
    int64_t date = floor_div(local, USECS_PER_DAY);
    *result =
        value__text(eval, arena_printf(eval->arena, "%.3s %.3s %02d %02d:%02d:%02d.%06d %lld %s",
                              day_names[date__iso_weekday(date) % 7], month_names[c.month - 1],
                              c.day, c.hour, c.minute, c.second, c.us, (long long)c.year, zone));
    return ERR_OK;
}

static enum err
sleep_until(struct eval *eval, int64_t until)
{
    const struct world *world = eval->env->world;
    while (wall_clock(eval) < until) {
        TRY(task_interrupted(eval->task, eval->diag));
        task_park(eval->task, world_clock_us(world) + (until - wall_clock(eval)));
    }
    return ERR_OK;
}

FN(pg_sleep_for)
{
    UNUSED_COUNT;
    int64_t until = 0;
    *result = datum_int(0);
    TRY(timestamptz__add(eval, wall_clock(eval), interval_of(args[0]), &until));
    return sleep_until(eval, until);
}

FN(pg_sleep_until)
{
    UNUSED_COUNT;
    *result = datum_int(0);
    return sleep_until(eval, args[0].i);
}

/* ---- dates and numbers of days ----------------------------------------------------------- */

static enum err
date_add(struct eval *eval, int64_t date, int64_t days, struct datum *result)
{
    *result = datum_int(date);
    if (!date_finite(date)) {
        return ERR_OK;
    }
    result->i = date + days;
    return result->i < DATE_LEAST || result->i >= DATE_END ? date_range(eval, "") : ERR_OK;
}

FN(date_plus_int)
{
    UNUSED_COUNT;
    return date_add(eval, args[0].i, args[1].i, result);
}

FN(int_plus_date)
{
    UNUSED_COUNT;
    return date_add(eval, args[1].i, args[0].i, result);
}

FN(date_minus_int)
{
    UNUSED_COUNT;
    return date_add(eval, args[0].i, -args[1].i, result);
}

FN(date_minus_date)
{
    UNUSED_COUNT;
    if (!date_finite(args[0].i) || !date_finite(args[1].i)) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "cannot subtract infinite dates");
    }
    *result = datum_int(args[0].i - args[1].i);
    return ERR_OK;
}

/* ---- timestamps and intervals ------------------------------------------------------------ */

/* Months and days on the calendar. */
static bool
add_calendar(struct interval span, int64_t *timestamp)
{
    if (span.months != 0) {
        struct civil c;
        timestamp__to_civil(*timestamp, &c);
        int64_t months = c.year * 12 + (c.month - 1) + span.months;
        c.year = floor_div(months, 12);
        c.month = (int)(months - c.year * 12) + 1;
        int last = date__month_days(c.year, c.month);
        c.day = c.day > last ? last : c.day;
        if (!timestamp__from_civil(&c, timestamp)) {
            return false;
        }
    }
    int64_t days = 0;
    return !__builtin_mul_overflow((int64_t)span.days, USECS_PER_DAY, &days) &&
           !__builtin_add_overflow(*timestamp, days, timestamp) && timestamp_valid(*timestamp);
}

static enum err
timestamp_add(struct eval *eval, int64_t timestamp, struct interval span, struct datum *result)
{
    *result = datum_int(timestamp);
    if (!timestamp_finite(timestamp)) {
        return ERR_OK;
    }
    bool fits = add_calendar(span, &result->i) &&
                !__builtin_add_overflow(result->i, span.us, &result->i) &&
                timestamp_valid(result->i);
    return fits ? ERR_OK : timestamp__range(eval);
}

enum err
timestamptz__add(struct eval *eval, int64_t timestamp, struct interval span, int64_t *sum)
{
    *sum = timestamp;
    if (!timestamp_finite(timestamp)) {
        return ERR_OK;
    }
    if (span.months != 0 || span.days != 0) {
        TRY(to_local(eval, timestamp, sum));
        if (!add_calendar(span, sum)) {
            return timestamp__range(eval);
        }
        TRY(to_utc(eval, *sum, sum));
    }
    return __builtin_add_overflow(*sum, span.us, sum) || !timestamp_valid(*sum)
               ? timestamp__range(eval)
               : ERR_OK;
}

static bool
interval_negate(struct interval *span)
{
    if (span->us == INT64_MIN || span->days == INT32_MIN || span->months == INT32_MIN) {
        return false;
    }
    *span = (struct interval){-span->us, -span->days, -span->months};
    return true;
}

FN(timestamp_plus_interval)
{
    UNUSED_COUNT;
    return timestamp_add(eval, args[0].i, interval_of(args[1]), result);
}

FN(timestamp_minus_interval)
{
    UNUSED_COUNT;
    struct interval span = interval_of(args[1]);
    return interval_negate(&span) ? timestamp_add(eval, args[0].i, span, result)
                                  : interval__range(eval);
}

FN(timestamptz_plus_interval)
{
    UNUSED_COUNT;
    *result = datum_int(0);
    return timestamptz__add(eval, args[0].i, interval_of(args[1]), &result->i);
}

FN(timestamptz_minus_interval)
{
    UNUSED_COUNT;
    *result = datum_int(0);
    struct interval span = interval_of(args[1]);
    return interval_negate(&span) ? timestamptz__add(eval, args[0].i, span, &result->i)
                                  : interval__range(eval);
}

FN(date_plus_interval)
{
    struct datum both[2] = {{.i = 0}, args[1]};
    TRY(date_to_timestamp(eval, args, count, &both[0]));
    return timestamp_plus_interval(eval, both, count, result);
}

FN(date_minus_interval)
{
    struct datum both[2] = {{.i = 0}, args[1]};
    TRY(date_to_timestamp(eval, args, count, &both[0]));
    return timestamp_minus_interval(eval, both, count, result);
}

#define SWAPPED(name, call)                        \
    FN(name)                                       \
    {                                              \
        struct datum both[2] = {args[1], args[0]}; \
        return call(eval, both, count, result);    \
    }
SWAPPED(interval_plus_timestamp, timestamp_plus_interval)
SWAPPED(interval_plus_timestamptz, timestamptz_plus_interval)
SWAPPED(interval_plus_date, date_plus_interval)

/* Days of 24 hours, and the rest with the same sign. */
static struct interval
days_and_time(int64_t us)
{
    return (struct interval){.us = us % USECS_PER_DAY, .days = (int32_t)(us / USECS_PER_DAY)};
}

FN(timestamp_minus_timestamp)
{
    UNUSED_COUNT;
    int64_t us = 0;
    if (!timestamp_finite(args[0].i) || !timestamp_finite(args[1].i)) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "cannot subtract infinite timestamps");
    }
    if (__builtin_sub_overflow(args[0].i, args[1].i, &us)) {
        return interval__range(eval);
    }
    *result = interval__datum(eval->arena, days_and_time(us));
    return ERR_OK;
}

/* In years, months, days.. as people say it: the days of the month are the earlier one's. */
static enum err
age(struct eval *eval, int64_t a, int64_t b, struct datum *result)
{
    if (!timestamp_finite(a) || !timestamp_finite(b)) {
        return timestamp__range(eval);
    }
    bool negative = a < b;
    struct civil later;
    struct civil earlier;
    timestamp__to_civil(negative ? b : a, &later);
    timestamp__to_civil(negative ? a : b, &earlier);
    int64_t us = civil__time(&later) - civil__time(&earlier);
    int64_t days = later.day - earlier.day;
    int64_t months = (later.year - earlier.year) * 12 + later.month - earlier.month;
    if (us < 0) {
        us += USECS_PER_DAY;
        days--;
    }
    while (days < 0) {
        days += date__month_days(earlier.year, earlier.month);
        months--;
    }
    struct interval span = {us, (int32_t)days, (int32_t)months};
    if (negative) {
        (void)interval_negate(&span);
    }
    *result = interval__datum(eval->arena, span);
    return ERR_OK;
}

FN(timestamp_age)
{
    UNUSED_COUNT;
    return age(eval, args[0].i, args[1].i, result);
}

FN(timestamptz_age)
{
    UNUSED_COUNT;
    int64_t a = args[0].i;
    int64_t b = args[1].i;
    TRY(to_local(eval, a, &a));
    TRY(to_local(eval, b, &b));
    return age(eval, a, b, result);
}

FN(timestamp_age_today)
{
    struct datum both[2] = {{.i = 0}, args[0]};
    TRY(current_date_(eval, args, count, &both[0]));
    both[0].i *= USECS_PER_DAY;
    return timestamp_age(eval, both, 2, result);
}

FN(timestamptz_age_today)
{
    int64_t there = args[0].i;
    TRY(to_local(eval, there, &there));
    struct datum local = datum_int(there);
    return timestamp_age_today(eval, &local, count, result);
}

/* ---- intervals --------------------------------------------------------------------------- */

static enum err
interval_sum(struct eval *eval, struct interval a, struct interval b, struct interval *sum)
{
    return __builtin_add_overflow(a.us, b.us, &sum->us) ||
                   __builtin_add_overflow(a.days, b.days, &sum->days) ||
                   __builtin_add_overflow(a.months, b.months, &sum->months)
               ? interval__range(eval)
               : ERR_OK;
}

FN(interval_plus)
{
    UNUSED_COUNT;
    struct interval sum;
    TRY(interval_sum(eval, interval_of(args[0]), interval_of(args[1]), &sum));
    *result = interval__datum(eval->arena, sum);
    return ERR_OK;
}

FN(interval_minus)
{
    UNUSED_COUNT;
    struct interval a = interval_of(args[0]);
    struct interval b = interval_of(args[1]);
    struct interval rest;
    if (__builtin_sub_overflow(a.us, b.us, &rest.us) ||
        __builtin_sub_overflow(a.days, b.days, &rest.days) ||
        __builtin_sub_overflow(a.months, b.months, &rest.months)) {
        return interval__range(eval);
    }
    *result = interval__datum(eval->arena, rest);
    return ERR_OK;
}

FN(interval_negative)
{
    UNUSED_COUNT;
    struct interval span = interval_of(args[0]);
    if (!interval_negate(&span)) {
        return interval__range(eval);
    }
    *result = interval__datum(eval->arena, span);
    return ERR_OK;
}

static double
to_microseconds(double seconds)
{
    return rint(seconds * 1e6) / 1e6;
}

/* Fractions of months go into days, fractions of days into seconds, never upwards. */
static enum err
interval_scale(
    struct eval *eval, struct interval span, double factor, bool divide, struct datum *result)
{
    double months = divide ? span.months / factor : span.months * factor;
    double days = divide ? span.days / factor : span.days * factor;
    double us = divide ? (double)span.us / factor : (double)span.us * factor;
    if (!(fabs(months) <= INT32_MAX) || !(fabs(days) <= INT32_MAX)) {
        return interval__range(eval);
    }
    int32_t whole_months = (int32_t)months;
    int64_t whole_days = (int32_t)days;
    double more_days = to_microseconds((months - whole_months) * 30);
    double seconds = to_microseconds(
        (days - (double)whole_days + more_days - (int)more_days) * (double)SECONDS_PER_DAY);
    if (fabs(seconds) >= (double)SECONDS_PER_DAY) {
        int extra = (int)(seconds / (double)SECONDS_PER_DAY);
        whole_days += extra;
        seconds -= extra * (double)SECONDS_PER_DAY;
    }
    whole_days += (int)more_days;
    us = rint(us + seconds * 1e6);
    if (!(us >= -0x1p63 && us < 0x1p63) || whole_days > INT32_MAX || whole_days < INT32_MIN) {
        return interval__range(eval);
    }
    *result = interval__datum(
        eval->arena, (struct interval){(int64_t)us, (int32_t)whole_days, whole_months});
    return ERR_OK;
}

FN(interval_times)
{
    UNUSED_COUNT;
    return interval_scale(eval, interval_of(args[0]), args[1].f, false, result);
}
SWAPPED(times_interval, interval_times)

FN(interval_divided)
{
    UNUSED_COUNT;
    if (args[1].f == 0) {
        return diag_set(eval->diag, ERR_DIVISION_BY_ZERO, "division by zero");
    }
    return interval_scale(eval, interval_of(args[0]), args[1].f, true, result);
}

/* Move whole units up; then make the smaller part's sign the larger part's. */
static enum err
justify(struct eval *eval, struct interval span, bool hours, bool days, struct datum *result)
{
    int64_t whole_days = span.days;
    int64_t months = span.months;
    if (hours && days) {
        /* So that the days cannot overflow before the months have taken theirs. */
        months += whole_days / 30;
        whole_days %= 30;
    }
    if (hours) {
        whole_days += span.us / USECS_PER_DAY;
        span.us %= USECS_PER_DAY;
    }
    if (days) {
        months += whole_days / 30;
        whole_days %= 30;
        if (months > 0 && (whole_days < 0 || (hours && whole_days == 0 && span.us < 0))) {
            whole_days += 30;
            months--;
        } else if (months < 0 && (whole_days > 0 || (hours && whole_days == 0 && span.us > 0))) {
            whole_days -= 30;
            months++;
        }
    }
    if (hours) {
        if (whole_days > 0 && span.us < 0) {
            span.us += USECS_PER_DAY;
            whole_days--;
        } else if (whole_days < 0 && span.us > 0) {
            span.us -= USECS_PER_DAY;
            whole_days++;
        }
    }
    if (whole_days > INT32_MAX || whole_days < INT32_MIN || months > INT32_MAX ||
        months < INT32_MIN) {
        return interval__range(eval);
    }
    *result = interval__datum(
        eval->arena, (struct interval){span.us, (int32_t)whole_days, (int32_t)months});
    return ERR_OK;
}

FN(justify_hours)
{
    UNUSED_COUNT;
    return justify(eval, interval_of(args[0]), true, false, result);
}
FN(justify_days)
{
    UNUSED_COUNT;
    return justify(eval, interval_of(args[0]), false, true, result);
}
FN(justify_interval)
{
    UNUSED_COUNT;
    return justify(eval, interval_of(args[0]), true, true, result);
}

/* ---- times ------------------------------------------------------------------------------- */

static struct datum
time_of(int64_t us)
{
    return datum_int(us - floor_div(us, USECS_PER_DAY) * USECS_PER_DAY);
}

FN(time_plus_interval)
{
    (void)eval;
    UNUSED_COUNT;
    *result = time_of(args[0].i + interval_of(args[1]).us % USECS_PER_DAY);
    return ERR_OK;
}
SWAPPED(interval_plus_time, time_plus_interval)

FN(time_minus_interval)
{
    (void)eval;
    UNUSED_COUNT;
    *result = time_of(args[0].i - interval_of(args[1]).us % USECS_PER_DAY);
    return ERR_OK;
}

FN(time_minus_time)
{
    UNUSED_COUNT;
    *result = interval__datum(eval->arena, (struct interval){.us = args[0].i - args[1].i});
    return ERR_OK;
}

/* ---- making ------------------------------------------------------------------------------ */

/* Negative years are BC; 0 is none. */
static enum err
make_date_of(struct eval *eval, const struct datum *args, int64_t *date)
{
    int64_t year = args[0].i < 0 ? args[0].i + 1 : args[0].i;
    int64_t month = args[1].i;
    int64_t day = args[2].i;
    if (args[0].i == 0 || month < 1 || month > 12 || day < 1 ||
        day > date__month_days(year, (int)month)) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW,
            "date field value out of range: %lld-%02lld-%02lld", (long long)args[0].i,
            (long long)month, (long long)day);
    }
    *date =
        year < -4800 || year > 6000000 ? DATE_END : date__from_civil(year, (int)month, (int)day);
    if (*date < DATE_LEAST || *date >= DATE_END) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "date out of range: %lld-%02lld-%02lld",
            (long long)args[0].i, (long long)month, (long long)day);
    }
    return ERR_OK;
}

static enum err
make_time_of(struct eval *eval, const struct datum *args, int64_t *time)
{
    int64_t hour = args[0].i;
    int64_t minute = args[1].i;
    double second = args[2].f;
    double us = rint(second * 1e6);
    bool fits = hour >= 0 && hour <= 24 && minute >= 0 && minute <= 59 && !isnan(second) &&
                us >= 0 && us <= 60e6;
    *time = fits ? hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE + (int64_t)us : 0;
    return fits && *time <= USECS_PER_DAY ? ERR_OK
                                          : diag_set(eval->diag, ERR_DATETIME_OVERFLOW,
                                                "time field value out of range: %lld:%02lld:%02g",
                                                (long long)hour, (long long)minute, second);
}

FN(make_date)
{
    UNUSED_COUNT;
    *result = datum_int(0);
    return make_date_of(eval, args, &result->i);
}

FN(make_time)
{
    UNUSED_COUNT;
    *result = datum_int(0);
    return make_time_of(eval, args, &result->i);
}

FN(make_timestamp)
{
    UNUSED_COUNT;
    int64_t date = 0;
    int64_t time = 0;
    TRY(make_date_of(eval, args, &date));
    TRY(make_time_of(eval, args + 3, &time));
    int64_t value = 0;
    if (__builtin_mul_overflow(date, USECS_PER_DAY, &value) ||
        __builtin_add_overflow(value, time, &value) || !timestamp_valid(value)) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW,
            "timestamp out of range: %lld-%02lld-%02lld %lld:%02lld:%02g", (long long)args[0].i,
            (long long)args[1].i, (long long)args[2].i, (long long)args[3].i, (long long)args[4].i,
            args[5].f);
    }
    *result = datum_int(value);
    return ERR_OK;
}

/* A zone as AT TIME ZONE names it. */
static enum err
find_zone(
    struct eval *eval, struct datum name, int64_t local, const struct zone **zone, int32_t *offset)
{
    const char *zone_name = NULL;
    struct slice word = datum_slice(name);
    *zone = NULL;
    if (zone__abbreviation(word, offset, &zone_name)) {
        if (zone_name != NULL) {
            const struct zone *knows =
                zone__find(eval->task, slice_of(zone_name, strlen(zone_name)));
            if (knows != NULL) {
                *offset = zone__offset_abbreviation(knows,
                    floor_div(local, USECS_PER_SECOND) + UNIX_TO_2000,
                    arena_strndup(eval->arena, (const char *)word.data, word.size));
            }
        }
        return ERR_OK;
    }
    *zone = zone__find(eval->task, word);
    return *zone != NULL ? ERR_OK
                         : diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                               "time zone \"%.*s\" not recognized",
                               (int)(word.size > 200 ? 200 : word.size), (const char *)word.data);
}

static enum err
shift(struct eval *eval, int64_t from, int64_t offset_us, struct datum *result)
{
    *result = datum_int(from);
    if (!timestamp_finite(from)) {
        return ERR_OK;
    }
    return __builtin_add_overflow(from, offset_us, &result->i) || !timestamp_valid(result->i)
               ? timestamp__range(eval)
               : ERR_OK;
}

FN(at_zone_from_utc)
{
    UNUSED_COUNT;
    if (!timestamp_finite(args[1].i)) {
        *result = args[1];
        return ERR_OK;
    }
    const struct zone *zone = NULL;
    int32_t offset = 0;
    TRY(find_zone(eval, args[0], args[1].i, &zone, &offset));
    if (zone == NULL) {
        return shift(eval, args[1].i, offset * USECS_PER_SECOND, result);
    }
    *result = datum_int(0);
    return zone__to_local(zone, args[1].i, &result->i) ? ERR_OK : timestamp__range(eval);
}

FN(at_zone_to_utc)
{
    UNUSED_COUNT;
    if (!timestamp_finite(args[1].i)) {
        *result = args[1];
        return ERR_OK;
    }
    const struct zone *zone = NULL;
    int32_t offset = 0;
    TRY(find_zone(eval, args[0], args[1].i, &zone, &offset));
    if (zone == NULL) {
        return shift(eval, args[1].i, -offset * USECS_PER_SECOND, result);
    }
    *result = datum_int(0);
    return zone__from_local(zone, args[1].i, &result->i) ? ERR_OK : timestamp__range(eval);
}

static enum err
interval_offset(struct eval *eval, struct datum value, int64_t *us)
{
    struct interval span = interval_of(value);
    if (span.months != 0 || span.days != 0) {
        struct buffer text = {0};
        interval__output(NULL, span, &text);
        enum err err = diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "interval time zone \"%.*s\" must not include months or days", (int)text.size,
            (const char *)text.data);
        buffer_destroy(&text);
        return err;
    }
    *us = span.us / USECS_PER_SECOND * USECS_PER_SECOND;
    return ERR_OK;
}

FN(at_interval_from_utc)
{
    UNUSED_COUNT;
    int64_t us = 0;
    *result = args[1];
    if (!timestamp_finite(args[1].i)) {
        return ERR_OK;
    }
    TRY(interval_offset(eval, args[0], &us));
    return shift(eval, args[1].i, us, result);
}

FN(at_interval_to_utc)
{
    UNUSED_COUNT;
    int64_t us = 0;
    *result = args[1];
    if (!timestamp_finite(args[1].i)) {
        return ERR_OK;
    }
    TRY(interval_offset(eval, args[0], &us));
    return shift(eval, args[1].i, us == INT64_MIN ? us : -us, result);
}

FN(make_timestamptz)
{
    struct datum local;
    TRY(make_timestamp(eval, args, count, &local));
    *result = datum_int(0);
    if (count == 6) {
        return to_utc(eval, local.i, &result->i);
    }
    /* A number is an offset here, not a POSIX rule. */
    struct slice name = datum_slice(args[6]);
    if (name.size > 0 && (name.data[0] == '+' || name.data[0] == '-')) {
        int64_t ignored = 0;
        struct buffer text = {0};
        buffer_add_text(&text, "2000-01-01 00:00");
        buffer_add(&text, name.data, name.size);
        enum err err =
            datetime__read(eval, TYPE_TIMESTAMPTZ, slice_of(text.data, text.size), &ignored);
        buffer_destroy(&text);
        if (err != ERR_OK) {
            return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                "invalid input syntax for type time zone: \"%.*s\"", (int)name.size,
                (const char *)name.data);
        }
        return shift(eval, local.i, ignored, result);
    }
    struct datum both[2] = {args[6], local};
    return at_zone_to_utc(eval, both, 2, result);
}

/* years, months, weeks, days, hours, mins, secs; as many as there are. */
FN(make_interval)
{
    int64_t part[6] = {0};
    for (int i = 0; i < count && i < 6; i++) {
        part[i] = args[i].i;
    }
    double seconds = count > 6 ? args[6].f : 0;
    int64_t months = part[0] * 12 + part[1];
    int64_t days = part[2] * 7 + part[3];
    double us = rint(seconds * 1e6);
    int64_t total = part[4] * USECS_PER_HOUR + part[5] * USECS_PER_MINUTE;
    if (!(fabs(us) < 9e18) || months > INT32_MAX || months < INT32_MIN || days > INT32_MAX ||
        days < INT32_MIN || __builtin_add_overflow(total, (int64_t)us, &total)) {
        return interval__range(eval);
    }
    *result =
        interval__datum(eval->arena, (struct interval){total, (int32_t)days, (int32_t)months});
    return ERR_OK;
}

FN(to_timestamp_unix)
{
    UNUSED_COUNT;
    double seconds = args[0].f;
    if (isnan(seconds)) {
        return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "timestamp cannot be NaN");
    }
    if (isinf(seconds)) {
        *result = datum_int(seconds < 0 ? INT64_MIN : INT64_MAX);
        return ERR_OK;
    }
    double us = rint((seconds - (double)UNIX_TO_2000) * 1e6);
    bool fits = us >= (double)TIMESTAMP_LEAST && us < (double)TIMESTAMP_END;
    if (!fits) {
        return diag_set(
            eval->diag, ERR_DATETIME_OVERFLOW, "timestamp out of range: \"%g\"", seconds);
    }
    *result = datum_int((int64_t)us);
    return ERR_OK;
}

FN(date_is_finite)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_bool(date_finite(args[0].i));
    return ERR_OK;
}
FN(timestamp_is_finite)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_bool(timestamp_finite(args[0].i));
    return ERR_OK;
}
FN(interval_is_finite)
{
    (void)eval;
    (void)args;
    UNUSED_COUNT;
    *result = datum_bool(true);
    return ERR_OK;
}

/* (start, end) pairs, in any order, half open; nulls as SQL asks: unknown unless the rest
 * decides.*/
static struct datum
overlaps(struct datum s1, struct datum e1, struct datum s2, struct datum e2)
{
    if (s1.null || (!e1.null && s1.i > e1.i)) {
        struct datum swap = s1;
        s1 = e1;
        e1 = swap;
    }
    if (s2.null || (!e2.null && s2.i > e2.i)) {
        struct datum swap = s2;
        s2 = e2;
        e2 = swap;
    }
    if (s1.null || s2.null) {
        return datum_null();
    }
    if (s1.i == s2.i) {
        return e1.null || e2.null ? datum_null() : datum_bool(true);
    }
    struct datum later = s1.i > s2.i ? s1 : s2;
    struct datum other = s1.i > s2.i ? e2 : e1;
    struct datum own = s1.i > s2.i ? e1 : e2;
    if (other.null) {
        return datum_null();
    }
    if (later.i < other.i) {
        return datum_bool(true);
    }
    return own.null ? datum_null() : datum_bool(false);
}

/* Pairs whose second part may be an interval from the first. */
static enum err
overlap_pairs(struct eval *eval, oid_t type, const struct datum *args, bool first_span,
    bool second_span, struct datum *result)
{
    struct datum ends[2] = {args[1], args[3]};
    bool span[2] = {first_span, second_span};
    for (int i = 0; i < 2; i++) {
        struct datum both[2] = {args[2 * i], ends[i]};
        if (!span[i]) {
            continue;
        }
        if (both[0].null || both[1].null) {
            ends[i] = datum_null();
        } else if (type == TYPE_TIME) {
            TRY(time_plus_interval(eval, both, 2, &ends[i]));
        } else if (type == TYPE_TIMESTAMP) {
            TRY(timestamp_plus_interval(eval, both, 2, &ends[i]));
        } else {
            TRY(timestamptz_plus_interval(eval, both, 2, &ends[i]));
        }
    }
    *result = overlaps(args[0], ends[0], args[2], ends[1]);
    return ERR_OK;
}

#define OVERLAPS(name, type)                                          \
    FN(name##_overlaps)                                               \
    {                                                                 \
        UNUSED_COUNT;                                                 \
        return overlap_pairs(eval, type, args, false, false, result); \
    }                                                                 \
    FN(name##_overlaps_span)                                          \
    {                                                                 \
        UNUSED_COUNT;                                                 \
        return overlap_pairs(eval, type, args, false, true, result);  \
    }                                                                 \
    FN(name##_span_overlaps)                                          \
    {                                                                 \
        UNUSED_COUNT;                                                 \
        return overlap_pairs(eval, type, args, true, false, result);  \
    }                                                                 \
    FN(name##_spans_overlap)                                          \
    {                                                                 \
        UNUSED_COUNT;                                                 \
        return overlap_pairs(eval, type, args, true, true, result);   \
    }
OVERLAPS(time, TYPE_TIME)
OVERLAPS(timestamp, TYPE_TIMESTAMP)
OVERLAPS(timestamptz, TYPE_TIMESTAMPTZ)

/* ---- sum, avg of intervals --------------------------------------------------------------- */

struct interval_state {
    struct interval sum;
    int64_t count;
};

static enum err
interval_step(
    struct eval *eval, void *memory, struct arena *group, const struct datum *args, int count)
{
    (void)group;
    UNUSED_COUNT;
    struct interval_state *state = memory;
    state->count++;
    return interval_sum(eval, state->sum, interval_of(args[0]), &state->sum);
}

static enum err
interval_sum_finish(struct eval *eval, void *memory, struct datum *result)
{
    const struct interval_state *state = memory;
    *result = state->count == 0 ? datum_null() : interval__datum(eval->arena, state->sum);
    return ERR_OK;
}

static enum err
interval_avg_finish(struct eval *eval, void *memory, struct datum *result)
{
    const struct interval_state *state = memory;
    *result = datum_null();
    return state->count == 0 ? ERR_OK
                             : interval_scale(eval, state->sum, (double)state->count, true, result);
}

static const struct aggregate interval_sum_aggregate = {
    sizeof(struct interval_state), interval_step, interval_sum_finish};
static const struct aggregate interval_avg_aggregate = {
    sizeof(struct interval_state), interval_step, interval_avg_finish};

/* ---- generate_series --------------------------------------------------------------------- */

struct series {
    int64_t at, end;
    struct interval step;
    bool done, descending, utc;
};

static enum err
series_start(struct eval *eval, struct series *state, const struct datum *args, bool utc)
{
    state->done = args[0].null || args[1].null || args[2].null;
    state->utc = utc;
    if (state->done) {
        return ERR_OK;
    }
    state->at = args[0].i;
    state->end = args[1].i;
    state->step = interval_of(args[2]);
    struct datum zero = interval__datum(eval->arena, (struct interval){0});
    int sign = datum_compare(TYPE_INTERVAL, args[2], zero);
    state->descending = sign < 0;
    return sign != 0
               ? ERR_OK
               : diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "step size cannot equal zero");
}

static enum err
timestamp_series_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    UNUSED_COUNT;
    return series_start(eval, memory, args, false);
}

static enum err
timestamptz_series_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    UNUSED_COUNT;
    return series_start(eval, memory, args, true);
}

static enum err
series_next(struct eval *eval, void *memory, struct datum *value, bool *done)
{
    struct series *state = memory;
    *done = state->done || (state->descending ? state->at < state->end : state->at > state->end);
    if (*done) {
        return ERR_OK;
    }
    *value = datum_int(state->at);
    if (state->utc) {
        return timestamptz__add(eval, state->at, state->step, &state->at);
    }
    struct datum next;
    TRY(timestamp_add(eval, state->at, state->step, &next));
    state->at = next.i;
    return ERR_OK;
}

static const struct set_function timestamp_series = {
    .state_size = sizeof(struct series), .start = timestamp_series_start, .next = series_next};
static const struct set_function timestamptz_series = {
    .state_size = sizeof(struct series), .start = timestamptz_series_start, .next = series_next};

/* ---- tables ------------------------------------------------------------------------------ */

#define D      TYPE_DATE
#define TI     TYPE_TIME
#define TS     TYPE_TIMESTAMP
#define TZ     TYPE_TIMESTAMPTZ
#define IV     TYPE_INTERVAL
#define I4     TYPE_INT4
#define F8     TYPE_FLOAT8
#define T      TYPE_TEXT
#define B      TYPE_BOOL
#define S      FUNCTION_STRICT
#define STABLE (FUNCTION_STRICT | FUNCTION_STABLE)
#define NONE(name, oid, result, flags, call)                  \
    {                                                         \
        name, oid, result, 0, 0, flags, {0}, call, NULL, NULL \
    }
#define ONE(name, oid, result, a, flags, call)                \
    {                                                         \
        name, oid, result, 1, 1, flags, {a}, call, NULL, NULL \
    }
#define TWO(name, oid, result, a, b, flags, call)                \
    {                                                            \
        name, oid, result, 2, 2, flags, {a, b}, call, NULL, NULL \
    }
#define OVERLAPS_ROWS(type, name, flags)                                                           \
    {"overlaps", 0, B, 4, 4, flags, {type, type, type, type}, name##_overlaps, NULL, NULL},        \
        {"overlaps", 0, B, 4, 4, flags, {type, type, type, IV}, name##_overlaps_span, NULL, NULL}, \
        {"overlaps", 0, B, 4, 4, flags, {type, IV, type, type}, name##_span_overlaps, NULL, NULL}, \
    {                                                                                              \
        "overlaps", 0, B, 4, 4, flags, {type, IV, type, IV}, name##_spans_overlap, NULL, NULL      \
    }
#define MAKE_INTERVAL(n)                                                               \
    {                                                                                  \
        "make_interval", n == 7 ? 3464 : 0, IV, n, n, S, {I4, I4, I4, I4, I4, I4, F8}, \
            make_interval, NULL, NULL                                                  \
    }

static const struct function functions[] = {
    NONE("now", 1299, TZ, STABLE, now),
    NONE("transaction_timestamp", 2647, TZ, STABLE, now),
    NONE("statement_timestamp", 2648, TZ, STABLE, statement_timestamp),
    NONE("clock_timestamp", 2649, TZ, S | FUNCTION_VOLATILE, clock_timestamp),
    NONE("timeofday", 274, T, S | FUNCTION_VOLATILE, timeofday_),
    ONE("pg_sleep_for", 3935, TYPE_VOID, IV, S | FUNCTION_VOLATILE, pg_sleep_for),
    ONE("pg_sleep_until", 3936, TYPE_VOID, TZ, S | FUNCTION_VOLATILE, pg_sleep_until),
    TWO("age", 2058, IV, TS, TS, S, timestamp_age),
    TWO("age", 1199, IV, TZ, TZ, STABLE, timestamptz_age),
    ONE("age", 2059, IV, TS, STABLE, timestamp_age_today),
    ONE("age", 1386, IV, TZ, STABLE, timestamptz_age_today),
    ONE("date", 2029, D, TS, S, timestamp_to_date),
    ONE("date", 1178, D, TZ, STABLE, timestamptz_to_date),
    ONE("isfinite", 1373, B, D, S, date_is_finite),
    ONE("isfinite", 2048, B, TS, S, timestamp_is_finite),
    ONE("isfinite", 1389, B, TZ, S, timestamp_is_finite),
    ONE("isfinite", 1390, B, IV, S, interval_is_finite),
    ONE("justify_hours", 1175, IV, IV, S, justify_hours),
    ONE("justify_days", 1295, IV, IV, S, justify_days),
    ONE("justify_interval", 2711, IV, IV, S, justify_interval),
    {"make_date", 3846, D, 3, 3, S, {I4, I4, I4}, make_date, NULL, NULL},
    {"make_time", 3847, TI, 3, 3, S, {I4, I4, F8}, make_time, NULL, NULL},
    {"make_timestamp", 3461, TS, 6, 6, S, {I4, I4, I4, I4, I4, F8}, make_timestamp, NULL, NULL},
    {"make_timestamptz", 3462, TZ, 6, 6, STABLE, {I4, I4, I4, I4, I4, F8}, make_timestamptz, NULL,
        NULL},
    {"make_timestamptz", 3463, TZ, 7, 7, STABLE, {I4, I4, I4, I4, I4, F8, T}, make_timestamptz,
        NULL, NULL},
    NONE("make_interval", 0, IV, S, make_interval),
    MAKE_INTERVAL(1),
    MAKE_INTERVAL(2),
    MAKE_INTERVAL(3),
    MAKE_INTERVAL(4),
    MAKE_INTERVAL(5),
    MAKE_INTERVAL(6),
    MAKE_INTERVAL(7),
    ONE("to_timestamp", 1158, TZ, F8, S, to_timestamp_unix),
    TWO("timezone", 1159, TS, T, TZ, S, at_zone_from_utc),
    TWO("timezone", 2069, TZ, T, TS, S, at_zone_to_utc),
    TWO("timezone", 1026, TS, IV, TZ, S, at_interval_from_utc),
    TWO("timezone", 2070, TZ, IV, TS, S, at_interval_to_utc),
    ONE("timestamp", 2024, TS, D, S, date_to_timestamp),
    TWO("timestamp", 2025, TS, D, TI, S, date_time_to_timestamp),
    TWO("timestamptz", 1176, TZ, D, TI, STABLE, date_time_to_timestamptz),
    OVERLAPS_ROWS(TI, time, 0),
    OVERLAPS_ROWS(TS, timestamp, 0),
    OVERLAPS_ROWS(TZ, timestamptz, FUNCTION_STABLE),
    {"sum", 2113, IV, 1, 1, S | FUNCTION_AGGREGATE, {IV}, NULL, &interval_sum_aggregate, NULL},
    {"avg", 2106, IV, 1, 1, S | FUNCTION_AGGREGATE, {IV}, NULL, &interval_avg_aggregate, NULL},
    {"generate_series", 938, TS, 3, 3, FUNCTION_SET, {TS, TS, IV}, NULL, NULL, &timestamp_series},
    {"generate_series", 939, TZ, 3, 3, FUNCTION_SET | FUNCTION_STABLE, {TZ, TZ, IV}, NULL, NULL,
        &timestamptz_series},
};

#define CROSS_ROWS(prefix, left, right, name, flags)                      \
    {"=", prefix "eq", left, right, B, name##_eq, "=", "<>", flags},      \
        {"<>", prefix "ne", left, right, B, name##_ne, "<>", "=", flags}, \
        {"<", prefix "lt", left, right, B, name##_lt, ">", ">=", flags},  \
        {"<=", prefix "le", left, right, B, name##_le, ">=", ">", flags}, \
        {">", prefix "gt", left, right, B, name##_gt, "<", "<=", flags},  \
    {                                                                     \
        ">=", prefix "ge", left, right, B, name##_ge, "<=", "<", flags    \
    }

static const struct operator_row operators[] = {
    CROSS_ROWS("date_timestamp_", D, TS, date_stamp, 0),
    CROSS_ROWS("timestamp_date_", TS, D, stamp_date, 0),
    CROSS_ROWS("date_timestamptz_", D, TZ, date_stamptz, FUNCTION_STABLE),
    CROSS_ROWS("timestamptz_date_", TZ, D, stamptz_date, FUNCTION_STABLE),
    CROSS_ROWS("timestamp_timestamptz_", TS, TZ, stamp_stamptz, FUNCTION_STABLE),
    CROSS_ROWS("timestamptz_timestamp_", TZ, TS, stamptz_stamp, FUNCTION_STABLE),
    {"+", "date_pli", D, I4, D, date_plus_int, "+", NULL, 0},
    {"+", "integer_pl_date", I4, D, D, int_plus_date, "+", NULL, 0},
    {"-", "date_mii", D, I4, D, date_minus_int, NULL, NULL, 0},
    {"-", "date_mi", D, D, I4, date_minus_date, NULL, NULL, 0},
    {"+", "date_pl_interval", D, IV, TS, date_plus_interval, "+", NULL, 0},
    {"-", "date_mi_interval", D, IV, TS, date_minus_interval, NULL, NULL, 0},
    {"+", "interval_pl_date", IV, D, TS, interval_plus_date, "+", NULL, 0},
    {"+", "datetime_pl", D, TI, TS, date_time_to_timestamp, "+", NULL, 0},
    {"+", "timedate_pl", TI, D, TS, time_date_to_timestamp, "+", NULL, 0},
    {"+", "timestamp_pl_interval", TS, IV, TS, timestamp_plus_interval, "+", NULL, 0},
    {"-", "timestamp_mi_interval", TS, IV, TS, timestamp_minus_interval, NULL, NULL, 0},
    {"+", "interval_pl_timestamp", IV, TS, TS, interval_plus_timestamp, "+", NULL, 0},
    {"-", "timestamp_mi", TS, TS, IV, timestamp_minus_timestamp, NULL, NULL, 0},
    {"+", "timestamptz_pl_interval", TZ, IV, TZ, timestamptz_plus_interval, "+", NULL,
        FUNCTION_STABLE},
    {"-", "timestamptz_mi_interval", TZ, IV, TZ, timestamptz_minus_interval, NULL, NULL,
        FUNCTION_STABLE},
    {"+", "interval_pl_timestamptz", IV, TZ, TZ, interval_plus_timestamptz, "+", NULL,
        FUNCTION_STABLE},
    {"-", "timestamptz_mi", TZ, TZ, IV, timestamp_minus_timestamp, NULL, NULL, 0},
    {"+", "interval_pl", IV, IV, IV, interval_plus, "+", NULL, 0},
    {"-", "interval_mi", IV, IV, IV, interval_minus, NULL, NULL, 0},
    {"-", "interval_um", 0, IV, IV, interval_negative, NULL, NULL, 0},
    {"*", "interval_mul", IV, F8, IV, interval_times, "*", NULL, 0},
    {"*", "mul_d_interval", F8, IV, IV, times_interval, "*", NULL, 0},
    {"/", "interval_div", IV, F8, IV, interval_divided, NULL, NULL, 0},
    {"+", "time_pl_interval", TI, IV, TI, time_plus_interval, "+", NULL, 0},
    {"+", "interval_pl_time", IV, TI, TI, interval_plus_time, "+", NULL, 0},
    {"-", "time_mi_interval", TI, IV, TI, time_minus_interval, NULL, NULL, 0},
    {"-", "time_mi_time", TI, TI, IV, time_minus_time, NULL, NULL, 0},
};

static const struct cast_row casts[] = {
    {D, TS, CAST_IMPLICIT, date_to_timestamp},
    {D, TZ, CAST_IMPLICIT, date_to_timestamptz},
    {TS, D, CAST_ASSIGNMENT, timestamp_to_date},
    {TS, TZ, CAST_IMPLICIT, timestamp_to_timestamptz},
    {TS, TI, CAST_ASSIGNMENT, timestamp_to_time},
    {TZ, D, CAST_ASSIGNMENT, timestamptz_to_date},
    {TZ, TS, CAST_ASSIGNMENT, timestamptz_to_timestamp},
    {TZ, TI, CAST_ASSIGNMENT, timestamptz_to_time},
    {TI, IV, CAST_IMPLICIT, time_to_interval},
    {IV, TI, CAST_ASSIGNMENT, interval_to_time},
};

const struct function_rows datetime_rows = {ROWS(functions), ROWS(operators), ROWS(casts)};
