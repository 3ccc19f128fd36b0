/*
 * sql/value/datetime_zone.c - time zones.
 *
 * A zone is read once from /usr/share/zoneinfo (TZif, RFC 8536; versions 2 and up, whose 64-bit
 * part and POSIX footer we use) through world/ and kept for the life of the process in a list that
 * only grows at its head; a zone in it never changes, so readers take no latch. Zones that need no
 * file: UTC, POSIX rules ("EST5EDT,M3.2.0,M11.1.0", "<+02>-02").
 *
 * After its last recorded change a zone follows its footer, for ever.
 */
#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "base/latch.h"
#include "base/mem.h"
#include "sql/value/datetime_internal.h"

enum {
    ZONE_NAME_MAX = 64,
    ZONE_ABBREVIATION_MAX = 12,
    ZONE_FILE_MAX = 256 * 1024,
    FILE_ZONES_MAX = 2000, /* more names than there are files */
    RULE_ZONES_MAX = 500,  /* for those who make up rules */
};

struct zone_kind {
    int32_t offset; /* seconds east */
    bool daylight;
    char abbreviation[ZONE_ABBREVIATION_MAX];
};

/* When a year's change comes, in local time of the kind that ends. */
struct zone_change {
    char form; /* 'M' month.week.day, 'J' day 1..365 without 29 February, 'D' day 0..365 */
    int month, week, day;
    int32_t time; /* seconds after midnight, may be negative or over a day */
};

/* What a POSIX TZ string says. */
struct zone_rule {
    struct zone_kind standard, summer;
    bool has_summer;
    struct zone_change start, end; /* of summer time */
};

struct zone {
    struct zone *next;
    char name[ZONE_NAME_MAX];
    size_t change_count;
    int64_t *times; /* seconds since 1970 UTC, ascending */
    uint8_t *kinds_after;
    size_t kind_count;
    struct zone_kind *kinds; /* [0] holds before the first change */
    bool has_rule;           /* holds after the last change */
    struct zone_rule rule;
};

static struct zone_kind utc_kind = {0, false, "UTC"};
static struct zone utc_zone = {.name = "UTC", .kind_count = 1, .kinds = &utc_kind};
static _Atomic(struct zone *) zones = &utc_zone;
static atomic_int file_zones, rule_zones;
static struct latch zones_latch;

/* ---- POSIX rules --------------------------------------------------------------------------------
 */

struct cursor {
    const char *at, *end;
};

static bool
take(struct cursor *from, char c)
{
    if (from->at < from->end && *from->at == c) {
        from->at++;
        return true;
    }
    return false;
}

static bool
read_number(struct cursor *from, int max, int *number)
{
    const char *start = from->at;
    *number = 0;
    while (from->at < from->end && *from->at >= '0' && *from->at <= '9') {
        *number = *number * 10 + (*from->at++ - '0');
        if (*number > max) {
            return false;
        }
    }
    return from->at > start;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool
read_time(struct cursor *from, int hours_max, int32_t *seconds)
{
    bool negative = take(from, '-');
    if (!negative) {
        (void)take(from, '+');
    }
    int hours = 0;
    int minutes = 0;
    int rest = 0;
    if (!read_number(from, hours_max, &hours)) {
        return false;
    }
    if (take(from, ':') && !read_number(from, 59, &minutes)) {
        return false;
    }
    if (take(from, ':') && !read_number(from, 59, &rest)) {
        return false;
    }
    *seconds = hours * 3600 + minutes * 60 + rest;
    *seconds = negative ? -*seconds : *seconds;
    return true;
}

static bool
read_abbreviation(struct cursor *from, char *abbreviation)
{
    bool quoted = take(from, '<');
    const char *start = from->at;
    while (from->at < from->end &&
           (quoted ? *from->at != '>' : isalpha((unsigned char)*from->at) != 0)) {
        from->at++;
    }
    size_t size = (size_t)(from->at - start);
    if (size >= ZONE_ABBREVIATION_MAX || (quoted && !take(from, '>'))) {
        return false;
    }
    memcpy(abbreviation, start, size);
    abbreviation[size] = '\0';
    return true;
}

static bool
read_change(struct cursor *from, struct zone_change *change)
{
    *change = (struct zone_change){.form = 'D', .time = 7200};
    if (take(from, 'M')) {
        change->form = 'M';
        if (!read_number(from, 12, &change->month) || change->month < 1 || !take(from, '.') ||
            !read_number(from, 5, &change->week) || change->week < 1 || !take(from, '.') ||
            !read_number(from, 6, &change->day)) {
            return false;
        }
    } else {
        if (take(from, 'J')) {
            change->form = 'J';
        }
        if (!read_number(from, change->form == 'J' ? 365 : 365, &change->day)) {
            return false;
        }
    }
    return !take(from, '/') || read_time(from, 167, &change->time);
}

static bool
read_rule(struct slice text, struct zone_rule *rule)
{
    struct cursor from = {(const char *)text.data, (const char *)text.data + text.size};
    *rule = (struct zone_rule){0};
    int32_t west = 0;
    if (!read_abbreviation(&from, rule->standard.abbreviation) || !read_time(&from, 24, &west)) {
        return false;
    }
    rule->standard.offset = -west;
    if (from.at == from.end) {
        return true;
    }
    rule->has_summer = true;
    if (!read_abbreviation(&from, rule->summer.abbreviation) ||
        rule->summer.abbreviation[0] == '\0') {
        return false;
    }
    rule->summer.daylight = true;
    rule->summer.offset = rule->standard.offset + 3600;
    if (from.at < from.end && *from.at != ',') {
        if (!read_time(&from, 24, &west)) {
            return false;
        }
        rule->summer.offset = -west;
    }
    if (from.at == from.end) { /* the rule of the United States, as PostgreSQL takes it */
        rule->start = (struct zone_change){'M', 3, 2, 0, 7200};
        rule->end = (struct zone_change){'M', 11, 1, 0, 7200};
        return true;
    }
    return take(&from, ',') && read_change(&from, &rule->start) && take(&from, ',') &&
           read_change(&from, &rule->end) && from.at == from.end;
}

/* In seconds since 1970, local time of the kind that ends. */
static int64_t
change_local(const struct zone_change *change, int64_t year)
{
    int64_t first = date__from_civil(year, 1, 1);
    int64_t date = first + change->day;
    if (change->form == 'J') {
        bool leap = date__month_days(year, 2) == 29;
        date = first + change->day - 1 + (leap && change->day >= 60 ? 1 : 0);
    } else if (change->form == 'M') {
        int64_t month = date__from_civil(year, change->month, 1);
        int weekday = date__iso_weekday(month) % 7; /* of the month's first day, Sunday 0 */
        int day = (change->day - weekday + 7) % 7 + 7 * (change->week - 1);
        if (day >= date__month_days(year, change->month)) {
            day -= 7;
        }
        date = month + day;
    }
    return date * SECONDS_PER_DAY + UNIX_TO_2000 + change->time;
}

static int64_t
year_of(int64_t seconds)
{
    int64_t year = 0;
    int month = 0;
    int day = 0;
    date__to_civil(floor_div(seconds - UNIX_TO_2000, SECONDS_PER_DAY), &year, &month, &day);
    return year;
}

static const struct zone_kind *
rule_kind(const struct zone_rule *rule, int64_t seconds)
{
    if (!rule->has_summer) {
        return &rule->standard;
    }
    int64_t year = year_of(seconds + rule->standard.offset);
    int64_t start = change_local(&rule->start, year) - rule->standard.offset;
    int64_t end = change_local(&rule->end, year) - rule->summer.offset;
    bool summer =
        start < end ? seconds >= start && seconds < end : seconds >= start || seconds < end;
    return summer ? &rule->summer : &rule->standard;
}

/* The first change after `seconds`. */
static bool
rule_next(const struct zone_rule *rule, int64_t seconds, int64_t *next)
{
    if (!rule->has_summer) {
        return false;
    }
    int64_t best = INT64_MAX;
    int64_t year = year_of(seconds);
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t changes[2] = {change_local(&rule->start, y) - rule->standard.offset,
            change_local(&rule->end, y) - rule->summer.offset};
        for (int i = 0; i < 2; i++) {
            best = changes[i] > seconds && changes[i] < best ? changes[i] : best;
        }
    }
    *next = best;
    return best != INT64_MAX;
}

/* ---- TZif files
 * ----------------------------------------------------------------------------------- */

/* The body of one version: counts at header + 20. Its size, or SIZE_MAX. */
static size_t
body_size(struct slice file, size_t time_size, size_t counts[6])
{
    if (file.size < 44 || memcmp(file.data, "TZif", 4) != 0) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i < 6; i++) {
        counts[i] = load_be32(file.data + 20 + 4 * i);
        if (counts[i] > ZONE_FILE_MAX) {
            return SIZE_MAX;
        }
    }
    /* isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt */
    size_t size = counts[3] * (time_size + 1) + counts[4] * 6 + counts[5] +
                  counts[2] * (time_size + 4) + counts[1] + counts[0];
    return size > file.size - 44 ? SIZE_MAX : size;
}

static bool
read_body(const uint8_t *body, const size_t counts[6], struct zone *zone)
{
    size_t change_count = counts[3];
    size_t kind_count = counts[4];
    const uint8_t *after = body + 8 * change_count;
    const uint8_t *kinds = after + change_count;
    const char *letters = (const char *)kinds + 6 * kind_count;
    if (kind_count == 0 || kind_count > 255) {
        return false;
    }
    zone->kinds = mem_array(kind_count, sizeof *zone->kinds);
    zone->kind_count = kind_count;
    for (size_t i = 0; i < kind_count; i++) {
        struct zone_kind *kind = &zone->kinds[i];
        kind->offset = (int32_t)load_be32(kinds + 6 * i);
        kind->daylight = kinds[6 * i + 4] != 0;
        size_t at = kinds[6 * i + 5];
        size_t size = at < counts[5] ? strnlen(letters + at, counts[5] - at) : SIZE_MAX;
        if (size >= ZONE_ABBREVIATION_MAX || kind->offset < -90000 || kind->offset > 93600) {
            return false;
        }
        memcpy(kind->abbreviation, letters + at, size);
        kind->abbreviation[size] = '\0';
    }
    zone->times = mem_array(change_count, sizeof *zone->times);
    zone->kinds_after = mem_array(change_count, 1);
    zone->change_count = change_count;
    for (size_t i = 0; i < change_count; i++) {
        zone->times[i] = (int64_t)load_be64(body + 8 * i);
        zone->kinds_after[i] = after[i];
        if (after[i] >= kind_count || (i > 0 && zone->times[i] <= zone->times[i - 1])) {
            return false;
        }
    }
    return true;
}

static bool
read_file(struct slice file, struct zone *zone)
{
    size_t counts[6];
    size_t first = body_size(file, 4, counts);
    if (first == SIZE_MAX || file.data[4] < '2') {
        return false;
    }
    struct slice second = slice_of(file.data + 44 + first, file.size - 44 - first);
    size_t size = body_size(second, 8, counts);
    if (size == SIZE_MAX || !read_body(second.data + 44, counts, zone)) {
        return false;
    }
    struct slice footer = slice_of(second.data + 44 + size, second.size - 44 - size);
    if (footer.size > 2 && footer.data[0] == '\n') {
        const uint8_t *end = memchr(footer.data + 1, '\n', footer.size - 1);
        if (end != NULL && end > footer.data + 1) {
            zone->has_rule =
                read_rule(slice_of(footer.data + 1, (size_t)(end - footer.data - 1)), &zone->rule);
        }
    }
    return true;
}

/* ---- finding one
 * ------------------------------------------------------------------------------------ */

#define ZONE_DIRECTORY "/usr/share/zoneinfo"

struct spelling {
    const char *wanted;
    char found[ZONE_NAME_MAX];
};

static void
match_name(void *arg, const char *name)
{
    struct spelling *spelling = arg;
    if (strcasecmp(name, spelling->wanted) == 0 && strlen(name) < ZONE_NAME_MAX) {
        memcpy(spelling->found, name, strlen(name) + 1);
    }
}

/* america/new_york is America/New_York. Rewrites name in place, part by part. */
static bool
find_spelling(struct task *task, char *name)
{
    char path[sizeof ZONE_DIRECTORY + ZONE_NAME_MAX + 1];
    size_t at = 0;
    for (;;) {
        size_t size = strcspn(name + at, "/");
        char part[ZONE_NAME_MAX];
        memcpy(part, name + at, size);
        part[size] = '\0';
        struct spelling spelling = {.wanted = part};
        int length = (int)(at == 0 ? 0 : at - 1);
        (void)snprintf(path, sizeof path, "%s/%.*s", ZONE_DIRECTORY, length, name);
        if (world_list_directory(task, path, match_name, &spelling, NULL) != ERR_OK ||
            spelling.found[0] == '\0') {
            return false;
        }
        memcpy(name + at, spelling.found, size);
        if (name[at + size] == '\0') {
            return true;
        }
        at += size + 1;
    }
}

static bool
load(struct task *task, char *name, struct zone *zone)
{
    /* Letters, digits, and / between parts; nothing that leads out of the directory. */
    size_t size = strlen(name);
    for (size_t i = 0; i < size; i++) {
        bool fine = isalnum((unsigned char)name[i]) || strchr("_+-", name[i]) != NULL ||
                    (name[i] == '/' && i > 0 && name[i - 1] != '/' && i + 1 < size);
        if (!fine) {
            return false;
        }
    }
    if (!find_spelling(task, name)) {
        return false;
    }
    char path[sizeof ZONE_DIRECTORY + ZONE_NAME_MAX + 1];
    (void)snprintf(path, sizeof path, "%s/%s", ZONE_DIRECTORY, name);
    struct world_file *file = NULL;
    if (world_file_open(task, path, WORLD_FILE_READ, &file, NULL) != ERR_OK) {
        return false;
    }
    uint64_t file_size = 0;
    size_t got = 0;
    uint8_t *bytes = NULL;
    bool done =
        world_file_size(task, file, &file_size, NULL) == ERR_OK && file_size <= ZONE_FILE_MAX;
    if (done) {
        bytes = mem_alloc(file_size + 1);
        done = world_file_read(task, file, 0, bytes, file_size, &got, NULL) == ERR_OK &&
               read_file(slice_of(bytes, got), zone);
    }
    world_file_close(task, file);
    mem_free(bytes);
    return done;
}

static void
zone_free(struct zone *zone)
{
    mem_free(zone->times);
    mem_free(zone->kinds_after);
    mem_free(zone->kinds);
    mem_free(zone);
}

static const struct zone *
known(const char *name)
{
    for (const struct zone *zone = atomic_load_explicit(&zones, memory_order_acquire); zone != NULL;
         zone = zone->next) {
        if (strcasecmp(zone->name, name) == 0) {
            return zone;
        }
    }
    return NULL;
}

const struct zone *
zone__find(struct task *task, struct slice text)
{
    char name[ZONE_NAME_MAX];
    if (text.size == 0 || text.size >= sizeof name) {
        return NULL;
    }
    memcpy(name, text.data, text.size);
    name[text.size] = '\0';
    const struct zone *found = known(name);
    if (found != NULL || strlen(name) != text.size) {
        return strlen(name) == text.size ? found : NULL;
    }
    struct zone *zone = mem_zalloc(sizeof *zone);
    bool good = task != NULL && load(task, name, zone);
    atomic_int *many = good ? &file_zones : &rule_zones;
    int most = good ? FILE_ZONES_MAX : RULE_ZONES_MAX;
    if (!good && (strcasecmp(name, "GMT") == 0 || strcasecmp(name, "Etc/UTC") == 0)) {
        zone_free(zone); /* no tzdata here, but these everyone knows */
        return &utc_zone;
    }
    if (!good) {
        /* A file that was wrong half-way leaves nothing behind. */
        struct zone_rule rule;
        good = read_rule(text, &rule);
        mem_free(zone->times);
        mem_free(zone->kinds_after);
        mem_free(zone->kinds);
        *zone = (struct zone){.has_rule = true, .rule = rule};
    }
    if (!good) {
        zone_free(zone);
        return NULL;
    }
    memcpy(zone->name, name, sizeof name);
    latch_acquire(&zones_latch);
    found = known(name);
    bool keep = found == NULL && atomic_load(many) < most;
    if (keep) {
        zone->next = atomic_load(&zones);
        atomic_store_explicit(&zones, zone, memory_order_release);
        atomic_fetch_add(many, 1);
    }
    latch_release(&zones_latch);
    if (!keep) {
        zone_free(zone);
        return found;
    }
    return zone;
}

const struct zone *
zone__session(struct task *task, const struct eval_env *env)
{
    const char *name = env == NULL ? NULL : env->time_zone;
    if (name == NULL || strcmp(name, "UTC") == 0) {
        return &utc_zone;
    }
    const struct zone *zone = zone__find(task, slice_of(name, strlen(name)));
    return zone == NULL ? &utc_zone : zone;
}

const char *
time_zone_name(struct task *task, const char *name)
{
    char rule[ZONE_NAME_MAX];
    char *end = NULL;
    double hours = strtod(name, &end);
    if (name[0] != '\0' && *end == '\0' && hours >= -168 && hours <= 168) {
        /* Hours east: "2" is the rule "<+02>-02", which counts to the west. */
        int32_t offset = (int32_t)(hours * 3600);
        int32_t size = offset < 0 ? -offset : offset;
        char clock[16];
        (void)snprintf(clock, sizeof clock, size % 3600 == 0 ? "%02d" : "%02d:%02d", size / 3600,
            size / 60 % 60);
        (void)snprintf(rule, sizeof rule, "<%c%s>%c%s", offset < 0 ? '-' : '+', clock,
            offset < 0 ? '+' : '-', clock);
        name = rule;
    }
    const struct zone *zone = zone__find(task, slice_of(name, strlen(name)));
    return zone == NULL ? NULL : zone->name;
}

/* ---- offsets
 * --------------------------------------------------------------------------------------- */

/* The last change at or before `seconds`; SIZE_MAX if it is before all. */
static size_t
change_index(const struct zone *zone, int64_t seconds)
{
    size_t low = 0;
    size_t high = zone->change_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zone->times[middle] <= seconds) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? SIZE_MAX : low - 1;
}

static const struct zone_kind *
kind_at(const struct zone *zone, int64_t seconds)
{
    size_t index = change_index(zone, seconds);
    if (zone->has_rule && (zone->change_count == 0 || index == zone->change_count - 1)) {
        return rule_kind(&zone->rule, seconds);
    }
    return index == SIZE_MAX ? &zone->kinds[0] : &zone->kinds[zone->kinds_after[index]];
}

int32_t
zone__offset(const struct zone *zone, int64_t seconds, bool *daylight, const char **abbreviation)
{
    if (zone == &utc_zone) {
        *daylight = false;
        *abbreviation = "UTC";
        return 0;
    }
    const struct zone_kind *kind = kind_at(zone, seconds);
    *daylight = kind->daylight;
    *abbreviation = kind->abbreviation;
    return kind->offset;
}

static bool
next_change(const struct zone *zone, int64_t seconds, int64_t *next)
{
    size_t index = change_index(zone, seconds);
    size_t after = index == SIZE_MAX ? 0 : index + 1;
    if (after < zone->change_count) {
        *next = zone->times[after];
        return true;
    }
    return zone->has_rule && rule_next(&zone->rule, seconds, next);
}

int32_t
zone__offset_local(const struct zone *zone, int64_t local)
{
    if (zone == &utc_zone) {
        return 0;
    }
    /* No zone is a day away from Greenwich, so the change that matters is the first one after
     * yesterday, if it comes before tomorrow. */
    int64_t yesterday = local - SECONDS_PER_DAY;
    int64_t change = 0;
    int32_t before = kind_at(zone, yesterday)->offset;
    if (!next_change(zone, yesterday, &change) || change > local + SECONDS_PER_DAY) {
        return before;
    }
    int32_t after = kind_at(zone, change)->offset;
    int64_t by_before = local - before;
    int64_t by_after = local - after;
    if (by_before < change && by_after < change) {
        return before;
    }
    if (by_before > change && by_after >= change) {
        return after;
    }
    return by_before > by_after ? before : after;
}

bool
zone__is_fixed(const struct zone *zone)
{
    return zone->has_rule ? !zone->rule.has_summer && zone->change_count == 0
                          : zone->kind_count == 1;
}

int32_t
zone__offset_abbreviation(const struct zone *zone, int64_t local, const char *abbreviation)
{
    int32_t offset = zone__offset_local(zone, local);
    int64_t seconds = local - offset;
    size_t index = change_index(zone, seconds);
    if (zone->has_rule && (zone->change_count == 0 || index == zone->change_count - 1)) {
        const struct zone_rule *rule = &zone->rule;
        if (strcasecmp(rule->standard.abbreviation, abbreviation) == 0) {
            return rule->standard.offset;
        }
        if (rule->has_summer && strcasecmp(rule->summer.abbreviation, abbreviation) == 0) {
            return rule->summer.offset;
        }
    }
    /* The latest time at or before, then the first one after. */
    for (size_t i = index == SIZE_MAX ? 0 : index + 1; i-- > 0;) {
        const struct zone_kind *kind = &zone->kinds[zone->kinds_after[i]];
        if (strcasecmp(kind->abbreviation, abbreviation) == 0) {
            return kind->offset;
        }
    }
    if (zone->kind_count > 0 && strcasecmp(zone->kinds[0].abbreviation, abbreviation) == 0) {
        return zone->kinds[0].offset;
    }
    for (size_t i = index == SIZE_MAX ? 0 : index + 1; i < zone->change_count; i++) {
        const struct zone_kind *kind = &zone->kinds[zone->kinds_after[i]];
        if (strcasecmp(kind->abbreviation, abbreviation) == 0) {
            return kind->offset;
        }
    }
    return offset;
}

bool
zone__to_local(const struct zone *zone, int64_t timestamptz, int64_t *timestamp)
{
    *timestamp = timestamptz;
    if (zone == &utc_zone || !timestamp_finite(timestamptz)) {
        return true;
    }
    bool daylight = false;
    const char *abbreviation = NULL;
    int32_t offset = zone__offset(
        zone, floor_div(timestamptz, USECS_PER_SECOND) + UNIX_TO_2000, &daylight, &abbreviation);
    return !__builtin_add_overflow(timestamptz, offset * USECS_PER_SECOND, timestamp) &&
           timestamp_valid(*timestamp);
}

bool
zone__from_local(const struct zone *zone, int64_t timestamp, int64_t *timestamptz)
{
    *timestamptz = timestamp;
    if (zone == &utc_zone || !timestamp_finite(timestamp)) {
        return true;
    }
    int32_t offset =
        zone__offset_local(zone, floor_div(timestamp, USECS_PER_SECOND) + UNIX_TO_2000);
    return !__builtin_sub_overflow(timestamp, offset * USECS_PER_SECOND, timestamptz) &&
           timestamp_valid(*timestamptz);
}

/* ---- abbreviations (PostgreSQL's set "Default"), sorted
 * ------------------------------------------- */

static const struct {
    const char *word;
    int32_t offset;
    const char *zone;
} abbreviations[] = {
    /* clang-format off */
    {"acdt", 37800, NULL}, {"acsst", 37800, NULL}, {"acst", 34200, NULL}, {"act", -18000, NULL},
    {"acwst", 31500, NULL}, {"adt", -10800, NULL}, {"aedt", 39600, NULL}, {"aesst", 39600, NULL},
    {"aest", 36000, NULL}, {"aft", 16200, NULL}, {"akdt", -28800, NULL}, {"akst", -32400, NULL},
    {"almst", 25200, NULL}, {"almt", 21600, NULL}, {"amst", 0, "Asia/Yerevan"},
    {"amt", -14400, NULL}, {"anast", 0, "Asia/Anadyr"}, {"anat", 0, "Asia/Anadyr"},
    {"arst", 0, "America/Argentina/Buenos_Aires"}, {"art", 0, "America/Argentina/Buenos_Aires"},
    {"ast", -14400, NULL}, {"awsst", 32400, NULL}, {"awst", 28800, NULL}, {"azost", 0, NULL},
    {"azot", -3600, NULL}, {"azst", 0, "Asia/Baku"}, {"azt", 0, "Asia/Baku"},
    {"bdst", 7200, NULL}, {"bdt", 21600, NULL}, {"bnt", 28800, NULL}, {"bort", 28800, NULL},
    {"bot", -14400, NULL}, {"bra", -10800, NULL}, {"brst", -7200, NULL}, {"brt", -10800, NULL},
    {"bst", 3600, NULL}, {"btt", 21600, NULL}, {"cadt", 37800, NULL}, {"cast", 34200, NULL},
    {"cct", 28800, NULL}, {"cdt", -18000, NULL}, {"cest", 7200, NULL}, {"cet", 3600, NULL},
    {"cetdst", 7200, NULL}, {"chadt", 49500, NULL}, {"chast", 45900, NULL},
    {"chut", 36000, NULL}, {"ckt", 0, "Pacific/Rarotonga"}, {"clst", -10800, NULL},
    {"clt", 0, "America/Santiago"}, {"cot", -18000, NULL}, {"cst", -21600, NULL},
    {"cxt", 25200, NULL}, {"davt", 0, "Antarctica/Davis"}, {"ddut", 36000, NULL},
    {"easst", 0, "Pacific/Easter"}, {"east", 0, "Pacific/Easter"}, {"eat", 10800, NULL},
    {"edt", -14400, NULL}, {"eest", 10800, NULL}, {"eet", 7200, NULL}, {"eetdst", 10800, NULL},
    {"egst", 0, NULL}, {"egt", -3600, NULL}, {"est", -18000, NULL}, {"fet", 10800, NULL},
    {"fjst", 46800, NULL}, {"fjt", 43200, NULL}, {"fkst", 0, "Atlantic/Stanley"},
    {"fkt", 0, "Atlantic/Stanley"}, {"fnst", -3600, NULL}, {"fnt", -7200, NULL},
    {"galt", -21600, NULL}, {"gamt", -32400, NULL}, {"gest", 0, "Asia/Tbilisi"},
    {"get", 0, "Asia/Tbilisi"}, {"gft", -10800, NULL}, {"gilt", 43200, NULL}, {"gmt", 0, NULL},
    {"gyt", 0, "America/Guyana"}, {"hkt", 28800, NULL}, {"hst", -36000, NULL},
    {"ict", 25200, NULL}, {"idt", 10800, NULL}, {"iot", 0, "Indian/Chagos"},
    {"irkst", 0, "Asia/Irkutsk"}, {"irkt", 0, "Asia/Irkutsk"}, {"irt", 12600, NULL},
    {"ist", 7200, NULL}, {"jayt", 32400, NULL}, {"jst", 32400, NULL}, {"kdt", 36000, NULL},
    {"kgst", 21600, NULL}, {"kgt", 0, "Asia/Bishkek"}, {"kost", 0, "Pacific/Kosrae"},
    {"krast", 0, "Asia/Krasnoyarsk"}, {"krat", 0, "Asia/Krasnoyarsk"}, {"kst", 32400, NULL},
    {"lhdt", 0, "Australia/Lord_Howe"}, {"lhst", 37800, NULL}, {"ligt", 36000, NULL},
    {"lint", 0, "Pacific/Kiritimati"}, {"lkt", 0, "Asia/Colombo"}, {"magst", 0, "Asia/Magadan"},
    {"magt", 0, "Asia/Magadan"}, {"mart", -34200, NULL}, {"mawt", 0, "Antarctica/Mawson"},
    {"mdt", -21600, NULL}, {"mest", 7200, NULL}, {"mesz", 7200, NULL}, {"met", 3600, NULL},
    {"metdst", 7200, NULL}, {"mez", 3600, NULL}, {"mht", 43200, NULL}, {"mmt", 23400, NULL},
    {"mpt", 36000, NULL}, {"msd", 14400, NULL}, {"msk", 0, "Europe/Moscow"},
    {"mst", -25200, NULL}, {"must", 18000, NULL}, {"mut", 14400, NULL}, {"mvt", 18000, NULL},
    {"myt", 28800, NULL}, {"ndt", -9000, NULL}, {"nft", -12600, NULL},
    {"novst", 0, "Asia/Novosibirsk"}, {"novt", 0, "Asia/Novosibirsk"}, {"npt", 20700, NULL},
    {"nst", -12600, NULL}, {"nut", 0, "Pacific/Niue"}, {"nzdt", 46800, NULL},
    {"nzst", 43200, NULL}, {"nzt", 43200, NULL}, {"omsst", 0, "Asia/Omsk"},
    {"omst", 0, "Asia/Omsk"}, {"pdt", -25200, NULL}, {"pet", -18000, NULL},
    {"petst", 0, "Asia/Kamchatka"}, {"pett", 0, "Asia/Kamchatka"}, {"pgt", 36000, NULL},
    {"pht", 28800, NULL}, {"pkst", 21600, NULL}, {"pkt", 18000, NULL}, {"pmdt", -7200, NULL},
    {"pmst", -10800, NULL}, {"pont", 39600, NULL}, {"pst", -28800, NULL}, {"pwt", 32400, NULL},
    {"pyst", -10800, NULL}, {"pyt", 0, "America/Asuncion"}, {"ret", 14400, NULL},
    {"sadt", 37800, NULL}, {"sast", 7200, NULL}, {"sct", 14400, NULL},
    {"sgt", 0, "Asia/Singapore"}, {"taht", -36000, NULL}, {"tft", 18000, NULL},
    {"tjt", 18000, NULL}, {"tkt", 0, "Pacific/Fakaofo"}, {"tmt", 0, "Asia/Ashgabat"},
    {"tot", 46800, NULL}, {"trut", 36000, NULL}, {"tvt", 43200, NULL}, {"uct", 0, NULL},
    {"ulast", 32400, NULL}, {"ulat", 0, "Asia/Ulaanbaatar"}, {"ut", 0, NULL}, {"utc", 0, NULL},
    {"uyst", -7200, NULL}, {"uyt", -10800, NULL}, {"uzst", 21600, NULL}, {"uzt", 18000, NULL},
    {"vet", 0, "America/Caracas"}, {"vlast", 0, "Asia/Vladivostok"},
    {"vlat", 0, "Asia/Vladivostok"}, {"volt", 0, "Europe/Volgograd"}, {"vut", 39600, NULL},
    {"wadt", 28800, NULL}, {"wakt", 43200, NULL}, {"wast", 25200, NULL}, {"wat", 3600, NULL},
    {"wdt", 32400, NULL}, {"wet", 0, NULL}, {"wetdst", 3600, NULL}, {"wft", 43200, NULL},
    {"wgst", -7200, NULL}, {"wgt", -10800, NULL}, {"xjt", 21600, NULL},
    {"yakst", 0, "Asia/Yakutsk"}, {"yakt", 0, "Asia/Yakutsk"}, {"yapt", 36000, NULL},
    {"yekst", 21600, NULL}, {"yekt", 0, "Asia/Yekaterinburg"}, {"z", 0, NULL}, {"zulu", 0, NULL},
    /* clang-format on */
};

bool
zone__abbreviation(struct slice word, int32_t *offset, const char **zone_name)
{
    char lower[8];
    if (word.size == 0 || word.size >= sizeof lower) {
        return false;
    }
    for (size_t i = 0; i < word.size; i++) {
        lower[i] = (char)tolower(word.data[i]);
    }
    lower[word.size] = '\0';
    size_t low = 0;
    size_t high = sizeof abbreviations / sizeof abbreviations[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(abbreviations[middle].word, lower);
        if (order == 0) {
            *offset = abbreviations[middle].offset;
            *zone_name = abbreviations[middle].zone;
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}
