/* sql/value/datetime_internal.h - shared by the datetime files of sql/value. */
#ifndef SQL_VALUE_DATETIME_INTERNAL_H
#define SQL_VALUE_DATETIME_INTERNAL_H

#include <stdio.h>

#include "sql/value/value_internal.h"

#define USECS_PER_SECOND INT64_C(1000000)
#define USECS_PER_MINUTE INT64_C(60000000)
#define USECS_PER_HOUR   INT64_C(3600000000)
#define USECS_PER_DAY    INT64_C(86400000000)
#define SECONDS_PER_DAY  INT64_C(86400)
/* Seconds from 1970-01-01 to 2000-01-01. */
#define UNIX_TO_2000 INT64_C(946684800)

/* 4714-11-24 BC up to, not including, 294277-01-01. */
#define TIMESTAMP_LEAST INT64_C(-211813488000000000)
#define TIMESTAMP_END   INT64_C(9223371331200000000)
#define DATE_LEAST      INT64_C(-2451545)
#define DATE_END        INT64_C(2145031949) /* 5874898-01-01 */
#define JULIAN_2000     INT64_C(2451545)

struct interval {
    int64_t us;
    int32_t days;
    int32_t months;
};

static inline struct interval
interval_of(struct datum value)
{
    return (struct interval){.us = (int64_t)load_le64(value.p),
        .days = (int32_t)load_le32(value.p + 8),
        .months = (int32_t)load_le32(value.p + 12)};
}
struct datum interval__datum(struct arena *arena, struct interval interval);

/* A point in time as people write it. year is astronomical: 0 is 1 BC. */
struct civil {
    int64_t year;
    int month, day;           /* from 1 */
    int hour, minute, second; /* 24:00:00 and second 60 only while reading */
    int us;
};

/* Days since 2000-01-01 in the proleptic Gregorian calendar, and back. */
int64_t date__from_civil(int64_t year, int month, int day);
void date__to_civil(int64_t date, int64_t *year, int *month, int *day);
int date__month_days(int64_t year, int month);
/* Of a finite timestamp. */
void timestamp__to_civil(int64_t timestamp, struct civil *civil);
/* False if not a timestamp's range. */
bool timestamp__from_civil(const struct civil *civil, int64_t *timestamp);
int64_t civil__time(const struct civil *civil); /* us since midnight */
static inline bool
timestamp_finite(int64_t timestamp)
{
    return timestamp != INT64_MIN && timestamp != INT64_MAX;
}
static inline bool
timestamp_valid(int64_t timestamp)
{
    return timestamp >= TIMESTAMP_LEAST && timestamp < TIMESTAMP_END;
}
static inline bool
date_valid(int64_t date)
{
    return date >= DATE_LEAST && date < DATE_END;
}
static inline bool
date_finite(int64_t date)
{
    return date != INT32_MIN && date != INT32_MAX;
}
static inline int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

/* Monday is 1, Sunday 7. */
int date__iso_weekday(int64_t date);
int date__iso_week(int64_t date, int64_t *iso_year);

extern const char *const month_names[12];
extern const char *const day_names[7]; /* from Sunday */

/* 22008 "timestamp out of range". */
enum err timestamp__range(struct eval *eval);
enum err interval__range(struct eval *eval);

/* On the session's calendar. */
enum err timestamptz__add(struct eval *eval, int64_t timestamp, struct interval span, int64_t *sum);

/* ---- zones (datetime_zone.c) ---- */

struct zone;

/* By name: tzdata's, or a POSIX rule. NULL if unknown. May sleep for its file
 * the first time, if task is not NULL. */
const struct zone *zone__find(struct task *task, struct slice name);
/* The session's; UTC if there is none. */
const struct zone *zone__session(struct task *task, const struct eval_env *env);
/* Seconds east of Greenwich at a time given in seconds since 1970 UTC. */
int32_t zone__offset(
    const struct zone *zone, int64_t seconds, bool *daylight, const char **abbreviation);
/* The same for a local time. What falls into a gap counts by the offset before it, what happens
 * twice by the offset after the change, as PostgreSQL. */
int32_t zone__offset_local(const struct zone *zone, int64_t local_seconds);
/* A local time's offset by what this abbreviation last meant there, else as above. */
int32_t zone__offset_abbreviation(
    const struct zone *zone, int64_t local_seconds, const char *abbreviation);
/* One offset for all times. */
bool zone__is_fixed(const struct zone *zone);
/* EST, MEZ..: a fixed offset or the name of a zone that knows. */
bool zone__abbreviation(struct slice word, int32_t *offset, const char **zone_name);

/* timestamptz to local timestamp and back. False: out of range. */
bool zone__to_local(const struct zone *zone, int64_t timestamptz, int64_t *timestamp);
bool zone__from_local(const struct zone *zone, int64_t timestamp, int64_t *timestamptz);

/* ---- reading (datetime_read.c) and intervals (datetime_interval.c) ---- */

enum {
    PIECES_MAX = 25,
    PIECES_TEXT_MAX = 160,
};

enum piece_kind {
    PIECE_NUMBER,
    PIECE_DATE, /* digits or letters with separators; also a zone's name */
    PIECE_TIME, /* with a colon */
    PIECE_ZONE, /* sign and digits */
    PIECE_WORD,
    PIECE_SIGNED_WORD,
};

struct piece {
    enum piece_kind kind;
    char *text; /* lower case, ends in NUL */
};

struct pieces {
    size_t count;
    struct piece list[PIECES_MAX];
    char memory[PIECES_TEXT_MAX + PIECES_MAX + 1];
};

/* False: too long, or characters that are nowhere allowed. */
bool datetime__cut(struct slice text, struct pieces *pieces);
/* A word that means something in a date, apart from zones. Lower case. */
bool datetime__known_word(const char *text);
/* 22007 invalid input syntax for type .. */
enum err datetime__invalid(struct eval *eval, const char *type, struct slice text);
/* date, time, timestamp, timestamptz. */
enum err datetime__read(struct eval *eval, oid_t type, struct slice text, int64_t *value);

enum datetime_unit {
    UNIT_NONE,
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_TIMEZONE,
    UNIT_TIMEZONE_HOUR,
    UNIT_TIMEZONE_MINUTE,
    /* Only of extract: */
    UNIT_DOW,
    UNIT_DOY,
    UNIT_EPOCH,
    UNIT_ISODOW,
    UNIT_ISOYEAR,
    UNIT_JULIAN,
};

/* hours, mins, dec.. (lower case) */
bool datetime__unit(const char *word, enum datetime_unit *unit);

enum err interval__input(
    struct eval *eval, int32_t typmod, struct slice text, struct interval *interval);
enum err interval__apply_typmod(struct eval *eval, int32_t typmod, struct interval *interval);
/* env NULL: as IntervalStyle postgres has it. */
void interval__output(const struct eval_env *env, struct interval interval, struct buffer *to);

#endif /* SQL_VALUE_DATETIME_INTERNAL_H */
