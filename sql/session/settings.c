/*
 * sql/session/settings.c - SET, SHOW, RESET.
 *
 * A table of the settings that mean something here, or that clients set without asking; each with
 * its type, bounds and effect. Changes are remembered in a list until the transaction ends: rolling
 * back walks it, and so does commit for SET LOCAL.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/session/session_internal.h"

enum setting_type {
    SETTING_BOOL,
    SETTING_INT, /* with an optional unit of its family */
    SETTING_TEXT,
    SETTING_ENUM, /* choices, separated by | */
    SETTING_REAL,
};

enum setting_unit {
    UNIT_NONE,
    UNIT_MS,
    UNIT_KB,
};

enum setting_flags {
    SETTING_REPORT = 1,    /* ParameterStatus on change */
    SETTING_READ_ONLY = 2, /* cannot be changed */
    SETTING_SERVER = 4,    /* cannot be changed now: needs a restart */
};

struct setting {
    const char *name;
    enum setting_type type;
    enum setting_unit unit;
    int flags;
    const char *initial;
    int64_t min, max;
    const char *choices;
    const char *description;
};

/* Sorted by name, without regard to case. */
static const struct setting settings[] = {
    {"application_name", SETTING_TEXT, 0, SETTING_REPORT, "", 0, 0, NULL,
        "Sets the application name to be reported in statistics and logs."},
    {"backslash_quote", SETTING_ENUM, 0, 0, "safe_encoding", 0, 0, "safe_encoding|on|off",
        "Has no effect: standard_conforming_strings is always on."},
    {"bytea_output", SETTING_ENUM, 0, 0, "hex", 0, 0, "hex|escape",
        "Sets the output format for bytea."},
    {"check_function_bodies", SETTING_BOOL, 0, 0, "on", 0, 0, NULL,
        "Has no effect: there are no user functions yet."},
    {"client_encoding", SETTING_TEXT, 0, SETTING_REPORT, "UTF8", 0, 0, NULL,
        "Sets the client's character set encoding; only UTF8."},
    {"client_min_messages", SETTING_ENUM, 0, 0, "notice", 0, 0,
        "debug5|debug4|debug3|debug2|debug1|debug|log|notice|warning|error",
        "Sets the message levels that are sent to the client."},
    {"DateStyle", SETTING_TEXT, 0, SETTING_REPORT, "ISO, MDY", 0, 0, NULL,
        "Sets the input order of dates; the output is ISO."},
    {"debug_work_mem_bytes", SETTING_INT, 0, 0, "-1", -1, INT32_MAX, NULL,
        "Takes the place of work_mem, in bytes: 0 sends every row to temporary files. For tests."},
    {"default_table_access_method", SETTING_TEXT, 0, 0, "heap", 0, 0, NULL,
        "Has no effect: there is one way to store tables."},
    {"default_tablespace", SETTING_TEXT, 0, 0, "", 0, 0, NULL,
        "Has no effect: there are no tablespaces."},
    {"default_transaction_deferrable", SETTING_BOOL, 0, 0, "off", 0, 0, NULL,
        "Sets the default deferrable status of new transactions."},
    {"default_transaction_isolation", SETTING_ENUM, 0, 0, "read committed", 0, 0,
        "serializable|repeatable read|read committed|read uncommitted",
        "Sets the transaction isolation level of each new transaction."},
    {"default_transaction_read_only", SETTING_BOOL, 0, SETTING_REPORT, "off", 0, 0, NULL,
        "Sets the default read-only status of new transactions."},
    {"escape_string_warning", SETTING_BOOL, 0, 0, "on", 0, 0, NULL,
        "Has no effect: standard_conforming_strings is always on."},
    {"extra_float_digits", SETTING_INT, 0, 0, "1", -15, 3, NULL,
        "Sets the number of digits displayed for floating-point values."},
    {"hash_mem_multiplier", SETTING_REAL, 0, 0, "2", 1, 1000, NULL,
        "Multiple of work_mem to use for hash tables."},
    {"idle_in_transaction_session_timeout", SETTING_INT, UNIT_MS, 0, "0", 0, INT32_MAX, NULL,
        "Sets the maximum allowed idle time between queries, when in a transaction."},
    {"idle_session_timeout", SETTING_INT, UNIT_MS, 0, "0", 0, INT32_MAX, NULL,
        "Sets the maximum allowed idle time between queries, when not in a transaction."},
    {"integer_datetimes", SETTING_BOOL, 0, SETTING_REPORT | SETTING_READ_ONLY, "on", 0, 0, NULL,
        "Shows whether datetimes are integer based."},
    {"IntervalStyle", SETTING_ENUM, 0, SETTING_REPORT, "postgres", 0, 0, "postgres",
        "Sets the display format for interval values."},
    {"is_superuser", SETTING_BOOL, 0, SETTING_REPORT | SETTING_READ_ONLY, "on", 0, 0, NULL,
        "Shows whether the current user is a superuser."},
    {"lc_collate", SETTING_TEXT, 0, SETTING_READ_ONLY, "C", 0, 0, NULL,
        "Shows the collation order locale."},
    {"lc_ctype", SETTING_TEXT, 0, SETTING_READ_ONLY, "C.UTF-8", 0, 0, NULL,
        "Shows the character classification and case conversion locale."},
    {"lc_messages", SETTING_TEXT, 0, 0, "C", 0, 0, NULL, "Has no effect: messages are in English."},
    {"lc_monetary", SETTING_TEXT, 0, 0, "C", 0, 0, NULL, "Has no effect."},
    {"lc_numeric", SETTING_TEXT, 0, 0, "C", 0, 0, NULL, "Has no effect."},
    {"lc_time", SETTING_TEXT, 0, 0, "C", 0, 0, NULL, "Has no effect."},
    {"lock_timeout", SETTING_INT, UNIT_MS, 0, "0", 0, INT32_MAX, NULL,
        "Sets the maximum allowed duration of any wait for a lock."},
    {"maintenance_work_mem", SETTING_INT, UNIT_KB, 0, "65536", 1024, INT32_MAX, NULL,
        "Sets the maximum memory to be used for maintenance operations: sorting an index's "
        "entries."},
    {"max_connections", SETTING_INT, 0, SETTING_SERVER, "10000", 1, INT32_MAX, NULL,
        "Sets the maximum number of concurrent connections."},
    {"max_identifier_length", SETTING_INT, 0, SETTING_READ_ONLY, "63", 63, 63, NULL,
        "Shows the maximum identifier length."},
    {"max_index_keys", SETTING_INT, 0, SETTING_READ_ONLY, "32", 32, 32, NULL,
        "Shows the maximum number of index keys."},
    {"row_security", SETTING_BOOL, 0, 0, "on", 0, 0, NULL,
        "Has no effect: there is no row security yet."},
    {"search_path", SETTING_TEXT, 0, 0, "\"$user\", public", 0, 0, NULL,
        "Sets the schema search order; only the default is looked at."},
    {"server_encoding", SETTING_TEXT, 0, SETTING_REPORT | SETTING_READ_ONLY, "UTF8", 0, 0, NULL,
        "Shows the server (database) character set encoding."},
    {"server_version", SETTING_TEXT, 0, SETTING_REPORT | SETTING_READ_ONLY, "15.0 (Tusk 0.1.0)", 0,
        0, NULL, "Shows the server version."},
    {"server_version_num", SETTING_INT, 0, SETTING_READ_ONLY, "150000", 0, INT32_MAX, NULL,
        "Shows the server version as an integer."},
    {"session_authorization", SETTING_TEXT, 0, SETTING_REPORT | SETTING_READ_ONLY, "", 0, 0, NULL,
        "Shows the session user name."},
    {"standard_conforming_strings", SETTING_BOOL, 0, SETTING_REPORT, "on", 0, 0, NULL,
        "Causes '...' strings to treat backslashes literally; always on."},
    {"statement_timeout", SETTING_INT, UNIT_MS, 0, "0", 0, INT32_MAX, NULL,
        "Sets the maximum allowed duration of any statement."},
    {"synchronize_seqscans", SETTING_BOOL, 0, 0, "on", 0, 0, NULL, "Has no effect."},
    {"synchronous_commit", SETTING_ENUM, 0, 0, "on", 0, 0, "on|off|local|remote_write|remote_apply",
        "Sets whether a commit waits for the log to be durable."},
    {"temp_file_limit", SETTING_INT, UNIT_KB, 0, "-1", -1, INT32_MAX, NULL,
        "Limits the total size of all temporary files used by each session; -1: no limit."},
    {"TimeZone", SETTING_TEXT, 0, SETTING_REPORT, "UTC", 0, 0, NULL,
        "Sets the time zone for displaying and interpreting time stamps."},
    {"transaction_deferrable", SETTING_BOOL, 0, 0, "off", 0, 0, NULL,
        "Has no effect at the isolation levels there are."},
    {"transaction_isolation", SETTING_ENUM, 0, 0, "read committed", 0, 0,
        "serializable|repeatable read|read committed|read uncommitted",
        "Sets the current transaction's isolation level."},
    {"transaction_read_only", SETTING_BOOL, 0, 0, "off", 0, 0, NULL,
        "Sets the current transaction's read-only status."},
    {"work_mem", SETTING_INT, UNIT_KB, 0, "4096", 64, INT32_MAX, NULL,
        "Sets the maximum memory to be used for query workspaces."},
    {"xmloption", SETTING_ENUM, 0, 0, "content", 0, 0, "content|document",
        "Has no effect: there is no xml type."},
};
enum {
    SETTING_COUNT = sizeof settings / sizeof settings[0],
    CUSTOM = -1,
    UNKNOWN = -2,
};

static int
find(const char *name)
{
    int low = 0;
    int high = SETTING_COUNT - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        int order = strcasecmp(name, settings[middle].name);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            high = middle - 1;
        } else {
            low = middle + 1;
        }
    }
    return strchr(name, '.') != NULL ? CUSTOM : UNKNOWN;
}

static enum err
unknown(const char *name, struct diag *diag)
{
    return diag_set(
        diag, ERR_UNDEFINED_OBJECT, "unrecognized configuration parameter \"%s\"", name);
}

static struct setting_custom *
find_custom(const struct sql_session *session, const char *name)
{
    struct setting_custom *custom = session->customs;
    while (custom != NULL && strcasecmp(custom->name, name) != 0) {
        custom = custom->next;
    }
    return custom;
}

/* ---- reading ----------------------------------------------------------------------------- */

static const char *
isolation_name(enum txn_isolation isolation)
{
    return isolation == TXN_SERIALIZABLE      ? "serializable"
           : isolation == TXN_REPEATABLE_READ ? "repeatable read"
                                              : "read committed";
}

static const char *
value_at(const struct sql_session *session, int index)
{
    const char *name = settings[index].name;
    if (session->txn != NULL && txn_state(session->txn) == TXN_ACTIVE) {
        if (strcmp(name, "transaction_isolation") == 0) {
            return session->read_uncommitted ? "read uncommitted"
                                             : isolation_name(txn_isolation(session->txn));
        }
        if (strcmp(name, "transaction_deferrable") == 0) {
            return session->deferrable ? "on" : "off";
        }
        if (strcmp(name, "transaction_read_only") == 0) {
            return txn_read_only(session->txn) ? "on" : "off";
        }
    }
    if (strcmp(name, "session_authorization") == 0) {
        return session->user;
    }
    return session->values[index] != NULL ? session->values[index] : settings[index].initial;
}

const char *
settings__value(const struct sql_session *session, const char *name)
{
    int index = find(name);
    if (index >= 0) {
        return value_at(session, index);
    }
    const struct setting_custom *custom = find_custom(session, name);
    return custom == NULL ? NULL : custom->value;
}

/* 65536 kB is shown as 64MB: the largest unit that divides. */
static const char *
with_unit(struct sql_session *session, const struct setting *setting, const char *value)
{
    long long number = strtoll(value, NULL, 10);
    if (setting->unit == UNIT_NONE || number <= 0) {
        return value;
    }
    static const struct {
        enum setting_unit unit;
        long long factor;
        const char *name;
    } units[] = {{UNIT_MS, 86400000, "d"}, {UNIT_MS, 3600000, "h"}, {UNIT_MS, 60000, "min"},
        {UNIT_MS, 1000, "s"}, {UNIT_MS, 1, "ms"}, {UNIT_KB, 1073741824, "TB"},
        {UNIT_KB, 1048576, "GB"}, {UNIT_KB, 1024, "MB"}, {UNIT_KB, 1, "kB"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].unit == setting->unit && number % units[i].factor == 0) {
            return arena_printf(
                &session->statement, "%lld%s", number / units[i].factor, units[i].name);
        }
    }
    return value;
}

const char *
settings__get(struct sql_session *session, const char *name, struct diag *diag)
{
    int index = find(name);
    if (index >= 0) {
        return with_unit(session, &settings[index], value_at(session, index));
    }
    const struct setting_custom *custom = find_custom(session, name);
    if (custom == NULL) {
        (void)unknown(name, diag);
        return NULL;
    }
    return custom->value;
}

void
settings__each(struct sql_session *session,
    void (*each)(void *arg, const char *name, const char *value, const char *description),
    void *arg)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        each(arg, settings[i].name, with_unit(session, &settings[i], value_at(session, i)),
            settings[i].description);
    }
}

static struct datum
text_or_null(const char *text)
{
    return text == NULL ? datum_null() : datum_bytes(text, strlen(text));
}

/* "a|b" as the array {a,b}. */
static struct datum
choices_array(struct arena *arena, const char *choices)
{
    enum {
        CHOICES_MAX = 16,
    };
    struct datum items[CHOICES_MAX];
    uint32_t count = 0;
    for (const char *at = choices; at != NULL && *at != '\0'; at += *at == '|' ? 1 : 0) {
        size_t size = strcspn(at, "|");
        ASSERT(count < CHOICES_MAX);
        items[count++] = datum_bytes(at, size);
        at += size;
    }
    return choices == NULL ? datum_null() : array_make(arena, TYPE_TEXT, false, items, count);
}

static struct datum
limit_text(struct arena *arena, const struct setting *setting, int64_t limit)
{
    return setting->type != SETTING_INT && setting->type != SETTING_REAL
               ? datum_null()
               : text_or_null(arena_printf(arena, "%lld", (long long)limit));
}

enum err
settings__scan(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    (void)catalog;
    static const char *const types[] = {"bool", "integer", "string", "enum", "real"};
    static const char *const units[] = {NULL, "ms", "kB"};
    const struct sql_session *session = eval->env->session;
    for (int i = 0; session != NULL && i < SETTING_COUNT; i++) {
        const struct setting *setting = &settings[i];
        const struct datum values[] = {
            text_or_null(setting->name),
            text_or_null(arena_strdup(eval->arena, value_at(session, i))),
            text_or_null(units[setting->unit]),
            text_or_null("Tusk"),
            text_or_null(setting->description),
            datum_null(),
            text_or_null((setting->flags & SETTING_READ_ONLY) != 0 ? "internal"
                         : (setting->flags & SETTING_SERVER) != 0  ? "postmaster"
                                                                   : "user"),
            text_or_null(types[setting->type]),
            text_or_null(session->values[i] == NULL ? "default" : "session"),
            limit_text(eval->arena, setting, setting->min),
            limit_text(eval->arena, setting, setting->max),
            choices_array(eval->arena, setting->choices),
            text_or_null(setting->initial),
            text_or_null(setting->initial),
            datum_null(),
            datum_null(),
            datum_bool(false),
        };
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

void
sql_session_report_settings(struct sql_session *session)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        if ((settings[i].flags & SETTING_REPORT) != 0) {
            session->sink->parameter_status(
                session->sink->arg, settings[i].name, value_at(session, i));
        }
    }
}

/* ---- effects
 * ------------------------------------------------------------------------------------- */

static void
free_path(struct sql_session *session)
{
    for (char **at = session->search_path; at != NULL && *at != NULL; at++) {
        mem_free(*at);
    }
    mem_free(session->search_path);
    session->search_path = NULL;
}

/* a, "B c", "$user": names in order, folded to lower case outside quotes. */
static void
set_path(struct sql_session *session, const char *value)
{
    free_path(session);
    session->path_generation++;
    size_t room = 2;
    for (const char *at = value; *at != '\0'; at++) {
        room += *at == ',';
    }
    session->search_path = mem_zalloc(room * sizeof *session->search_path);
    session->env.search_path = (const char *const *)session->search_path;
    size_t count = 0;
    char *name = mem_alloc(strlen(value) + 1);
    for (const char *at = value; *at != '\0';) {
        size_t size = 0;
        for (bool inside = false; *at != '\0' && (inside || *at != ','); at++) {
            if (*at == '"') {
                inside = !inside;
            } else if (inside || *at != ' ') {
                name[size++] = inside ? *at : (char)tolower((unsigned char)*at);
            }
        }
        name[size] = '\0';
        at += *at == ',';
        if (size > 0) {
            session->search_path[count++] =
                mem_strdup(strcmp(name, "$user") == 0 ? session->user : name);
        }
    }
    mem_free(name);
}

static void
apply(struct sql_session *session, int index)
{
    const char *name = settings[index].name;
    const char *value = value_at(session, index);
    int64_t number = settings[index].type == SETTING_INT ? strtoll(value, NULL, 10) : 0;
    if (strcmp(name, "statement_timeout") == 0) {
        session->statement_timeout_us = number * 1000;
    } else if (strcmp(name, "lock_timeout") == 0) {
        session->lock_timeout_us = number * 1000;
        if (session->txn != NULL) {
            txn_set_lock_timeout(session->txn, session->lock_timeout_us);
        }
    } else if (strcmp(name, "idle_in_transaction_session_timeout") == 0) {
        session->idle_in_transaction_us = number * 1000;
    } else if (strcmp(name, "idle_session_timeout") == 0) {
        session->idle_session_us = number * 1000;
    } else if (strcmp(name, "work_mem") == 0) {
        session->work_mem = (uint64_t)number * 1024;
    } else if (strcmp(name, "maintenance_work_mem") == 0) {
        session->maintenance_work_mem = (uint64_t)number * 1024;
    } else if (strcmp(name, "hash_mem_multiplier") == 0) {
        session->hash_mem_multiplier = strtod(value, NULL);
    } else if (strcmp(name, "temp_file_limit") == 0) {
        session->spill_space.limit = number < 0 ? UINT64_MAX : (uint64_t)number * 1024;
    } else if (strcmp(name, "debug_work_mem_bytes") == 0) {
        session->debug_work_mem = number;
    } else if (strcmp(name, "TimeZone") == 0) {
        session->cache_stale = true;
        session->env.time_zone = value;
    } else if (strcmp(name, "search_path") == 0) {
        set_path(session, value);
    } else if (strcmp(name, "application_name") == 0) {
        session->env.application_name = value;
        latch_acquire(&session->engine->latch);
        (void)snprintf(session->application_name, sizeof session->application_name, "%s", value);
        latch_release(&session->engine->latch);
    } else if (strcmp(name, "extra_float_digits") == 0) {
        session->cache_stale = true;
        session->env.extra_float_digits = (int32_t)number;
    } else if (strcmp(name, "bytea_output") == 0) {
        session->cache_stale = true;
        session->env.bytea_escape = strcmp(value, "escape") == 0;
    } else if (strcmp(name, "DateStyle") == 0) {
        session->cache_stale = true;
        session->env.date_style_order = strstr(value, "DMY") != NULL   ? 1
                                        : strstr(value, "YMD") != NULL ? 2
                                                                       : 0;
    } else if (strcmp(name, "client_min_messages") == 0) {
        session->notice_level = strcmp(value, "warning") == 0 ? 1
                                : strcmp(value, "error") == 0 ? 2
                                                              : 0;
    }
}

/* A reported setting is about to change: the client hears of it with the next ReadyForQuery, if it
 * then differs from what it was last told. */
static void
note_change(struct sql_session *session, int index)
{
    for (struct setting_told *at = session->untold; at != NULL; at = at->next) {
        if (at->index == index) {
            return;
        }
    }
    struct setting_told *change = mem_zalloc(sizeof *change);
    change->index = index;
    change->told = mem_strdup(value_at(session, index));
    change->next = session->untold;
    session->untold = change;
}

void
sql_session_report_changes(struct sql_session *session)
{
    while (session->untold != NULL) {
        struct setting_told *change = session->untold;
        session->untold = change->next;
        const char *value = value_at(session, change->index);
        if (strcmp(change->told, value) != 0) {
            session->sink->parameter_status(
                session->sink->arg, settings[change->index].name, value);
        }
        mem_free(change->told);
        mem_free(change);
    }
}

static void
put(struct sql_session *session, int index, char *value)
{
    if ((settings[index].flags & SETTING_REPORT) != 0) {
        note_change(session, index);
    }
    mem_free(session->values[index]);
    session->values[index] = value;
    apply(session, index);
}

static void
put_custom(struct sql_session *session, const char *name, char *value)
{
    struct setting_custom *custom = find_custom(session, name);
    if (custom == NULL && value != NULL) {
        custom = mem_zalloc(sizeof *custom);
        custom->name = mem_strdup(name);
        custom->next = session->customs;
        session->customs = custom;
    }
    if (custom != NULL) {
        mem_free(custom->value);
        custom->value = value != NULL ? value : mem_strdup("");
    }
}

/* ---- checking
 * -------------------------------------------------------------------------------------- */

static enum err
invalid(const struct setting *setting, const char *value, struct diag *diag)
{
    return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid value for parameter \"%s\": \"%s\"",
        setting->name, value);
}

static bool
parse_bool(const char *value, bool *result)
{
    static const char *const words[] = {
        "on", "off", "true", "false", "yes", "no", "1", "0", "t", "f", "y", "n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(value, words[i]) == 0) {
            *result = i % 2 == 0;
            return true;
        }
    }
    return false;
}

static enum err
check_int(const struct setting *setting, const char *value, char **checked, struct diag *diag)
{
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value) {
        return invalid(setting, value, diag);
    }
    while (*end == ' ') {
        end++;
    }
    static const struct {
        enum setting_unit unit;
        const char *name;
        double factor;
    } units[] = {{UNIT_MS, "us", 0.001}, {UNIT_MS, "ms", 1}, {UNIT_MS, "s", 1000},
        {UNIT_MS, "min", 60000}, {UNIT_MS, "h", 3600000}, {UNIT_MS, "d", 86400000},
        {UNIT_KB, "B", 1.0 / 1024}, {UNIT_KB, "kB", 1}, {UNIT_KB, "MB", 1024},
        {UNIT_KB, "GB", 1048576}, {UNIT_KB, "TB", 1073741824}};
    if (*end != '\0') {
        size_t i = 0;
        size_t count = sizeof units / sizeof units[0];
        while (i < count && (units[i].unit != setting->unit || strcmp(units[i].name, end) != 0)) {
            i++;
        }
        if (i == count) {
            return invalid(setting, value, diag);
        }
        number *= units[i].factor;
    }
    if (number < (double)setting->min || number > (double)setting->max) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "%.0f%s is outside the valid range for parameter \"%s\" (%lld .. %lld)", number,
            setting->unit == UNIT_NONE ? ""
            : setting->unit == UNIT_MS ? " ms"
                                       : " kB",
            setting->name, (long long)setting->min, (long long)setting->max);
    }
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)(number + (number < 0 ? -0.5 : 0.5)));
    *checked = mem_strdup(text);
    return ERR_OK;
}

static enum err
check_real(const struct setting *setting, const char *value, char **checked, struct diag *diag)
{
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || number != number) {
        return invalid(setting, value, diag);
    }
    if (number < (double)setting->min || number > (double)setting->max) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "%g is outside the valid range for parameter \"%s\" (%lld .. %lld)", number,
            setting->name, (long long)setting->min, (long long)setting->max);
    }
    char text[32];
    (void)snprintf(text, sizeof text, "%g", number);
    *checked = mem_strdup(text);
    return ERR_OK;
}

static enum err
check_enum(const struct setting *setting, const char *value, char **checked, struct diag *diag)
{
    const char *at = setting->choices;
    size_t size = strlen(value);
    while (*at != '\0') {
        size_t length = strcspn(at, "|");
        if (length == size && strncasecmp(at, value, size) == 0) {
            *checked = mem_strdup(value);
            memcpy(*checked, at, size);
            return ERR_OK;
        }
        at += length + (at[length] == '|' ? 1 : 0);
    }
    (void)invalid(setting, value, diag);
    char choices[256];
    size_t used = 0;
    for (at = setting->choices; *at != '\0' && used + 4 < sizeof choices; at++) {
        choices[used++] = *at == '|' ? ',' : *at;
        if (*at == '|') {
            choices[used++] = ' ';
        }
    }
    choices[used] = '\0';
    diag_hint(diag, "Available values: %s.", choices);
    return ERR_INVALID_PARAMETER_VALUE;
}

static enum err
check_date_style(const char *value, char **checked, struct diag *diag)
{
    const char *order = NULL;
    char copy[64];
    (void)snprintf(copy, sizeof copy, "%s", value);
    char *rest = NULL;
    for (char *word = strtok_r(copy, ", ", &rest); word != NULL;
         word = strtok_r(NULL, ", ", &rest)) {
        if (strcasecmp(word, "DMY") == 0 || strncasecmp(word, "euro", 4) == 0) {
            order = "ISO, DMY";
        } else if (strcasecmp(word, "YMD") == 0) {
            order = "ISO, YMD";
        } else if (strcasecmp(word, "MDY") == 0 || strcasecmp(word, "US") == 0) {
            order = "ISO, MDY";
        } else if (strcasecmp(word, "SQL") == 0 || strcasecmp(word, "Postgres") == 0 ||
                   strcasecmp(word, "German") == 0) {
            return diag_set(
                diag, ERR_FEATURE_NOT_SUPPORTED, "DateStyle \"%s\" is not supported", word);
        } else if (strcasecmp(word, "ISO") != 0) {
            return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
                "invalid value for parameter \"DateStyle\": \"%s\"", value);
        }
    }
    *checked = mem_strdup(order == NULL ? "ISO, MDY" : order);
    return ERR_OK;
}

/* PostgreSQL's other encodings, by how their names begin: known, though not spoken here. */
static bool
is_encoding(const char *name)
{
    static const char *const begins[] = {"latin", "iso", "win", "koi8", "euc", "sjis", "shift",
        "big5", "gb", "uhc", "johab", "mule", "tcvn", "abc", "vscii", "alt", "unicode", "utf",
        "mskanji"};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        if (strncasecmp(name, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Settings whose words need more than a type. */
static enum err
check_text(struct sql_session *session, const struct setting *setting, const char *value,
    char **checked, struct diag *diag)
{
    if (strcmp(setting->name, "client_encoding") == 0) {
        if (strcasecmp(value, "UTF8") != 0 && strcasecmp(value, "UTF-8") != 0 &&
            strcasecmp(value, "UNICODE") != 0 && strcasecmp(value, "SQL_ASCII") != 0) {
            if (!is_encoding(value)) {
                return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
                    "invalid value for parameter \"client_encoding\": \"%s\"", value);
            }
            (void)diag_set(
                diag, ERR_FEATURE_NOT_SUPPORTED, "client encoding \"%s\" is not supported", value);
            diag_hint(diag, "Use UTF8.");
            return ERR_FEATURE_NOT_SUPPORTED;
        }
        *checked = mem_strdup("UTF8");
        return ERR_OK;
    }
    if (strcmp(setting->name, "DateStyle") == 0) {
        return check_date_style(value, checked, diag);
    }
    if (strcmp(setting->name, "TimeZone") == 0) {
        const char *name = time_zone_name(session->task, value);
        if (name == NULL) {
            return invalid(setting, value, diag);
        }
        *checked = mem_strdup(name);
        return ERR_OK;
    }
    *checked = mem_strdup(value);
    return ERR_OK;
}

static enum err
check(struct sql_session *session, const struct setting *setting, const char *value, char **checked,
    struct diag *diag)
{
    bool flag = false;
    switch (setting->type) {
    case SETTING_BOOL:
        if (!parse_bool(value, &flag)) {
            return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
                "parameter \"%s\" requires a Boolean value", setting->name);
        }
        if (strcmp(setting->name, "standard_conforming_strings") == 0 && !flag) {
            return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                "standard_conforming_strings cannot be turned off");
        }
        *checked = mem_strdup(flag ? "on" : "off");
        return ERR_OK;
    case SETTING_INT:
        return check_int(setting, value, checked, diag);
    case SETTING_REAL:
        return check_real(setting, value, checked, diag);
    case SETTING_ENUM:
        return check_enum(setting, value, checked, diag);
    case SETTING_TEXT:
        return check_text(session, setting, value, checked, diag);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

/* ---- changing
 * ---------------------------------------------------------------------------------------- */

static void
remember(struct sql_session *session, int index, const char *name, bool local)
{
    struct setting_change *change = mem_zalloc(sizeof *change);
    change->index = index >= 0 ? (uint32_t)index : UINT32_MAX;
    change->local = local;
    change->savepoints = session->savepoint_count;
    const char *before = NULL;
    if (index >= 0) {
        before = session->values[index];
    } else {
        change->name = mem_strdup(name);
        const struct setting_custom *custom = find_custom(session, name);
        before = custom == NULL ? NULL : custom->value;
    }
    change->before = before == NULL ? NULL : mem_strdup(before);
    change->older = session->changes;
    session->changes = change;
}

/* value NULL: back to the default. */
static enum err
change(
    struct sql_session *session, const char *name, const char *value, bool local, struct diag *diag)
{
    int index = find(name);
    if (index == UNKNOWN) {
        return unknown(name, diag);
    }
    char *checked = NULL;
    if (index >= 0) {
        const struct setting *setting = &settings[index];
        if ((setting->flags & SETTING_READ_ONLY) != 0) {
            return diag_set(diag, ERR_CANT_CHANGE_PARAMETER, "parameter \"%s\" cannot be changed",
                setting->name);
        }
        if ((setting->flags & SETTING_SERVER) != 0) {
            return diag_set(diag, ERR_CANT_CHANGE_PARAMETER,
                "parameter \"%s\" cannot be changed without restarting the server", setting->name);
        }
        if (value != NULL) {
            TRY(check(session, setting, value, &checked, diag));
        }
        if (strcmp(setting->name, "transaction_isolation") == 0) {
            enum err err =
                session__set_isolation(session, checked == NULL ? "read committed" : checked, diag);
            mem_free(checked);
            return err;
        }
        if (strcmp(setting->name, "transaction_deferrable") == 0) {
            session->deferrable = checked != NULL && strcmp(checked, "on") == 0;
            mem_free(checked);
            return ERR_OK;
        }
        if (strcmp(setting->name, "transaction_read_only") == 0) {
            bool read_only = checked != NULL && strcmp(checked, "on") == 0;
            mem_free(checked);
            return session__set_read_only(session, read_only, diag);
        }
    } else if (value != NULL) {
        checked = mem_strdup(value);
    }
    remember(session, index, name, local);
    if (index >= 0) {
        put(session, index, checked);
    } else {
        put_custom(session, name, checked);
    }
    return ERR_OK;
}

enum err
settings__set_value(
    struct sql_session *session, const char *name, const char *value, bool local, struct diag *diag)
{
    return change(session, name, value, local, diag);
}

static const char *
join_values(struct sql_session *session, const char *name, const struct ast_list *values)
{
    const char *joined = "";
    bool names = strcasecmp(name, "search_path") == 0; /* each element is an identifier */
    AST_FOREACH(at, values)
    {
        const struct ast_node *node = *at;
        if (node->kind == AST_CAST) { /* interval '1' hour to minute: its text */
            node = ast_as_cast(node)->operand;
        }
        if (node->kind != AST_CONST) {
            continue;
        }
        const struct ast_const *constant = ast_as_const(node);
        const char *text = constant->kind == AST_CONST_BOOL ? (constant->boolean ? "on" : "off")
                           : constant->text == NULL         ? ""
                                                            : constant->text;
        if (names) {
            text = parser_quote_ident(&session->statement, text);
        }
        joined =
            joined[0] == '\0' ? text : arena_printf(&session->statement, "%s, %s", joined, text);
    }
    return joined;
}

enum err
settings__set(struct sql_session *session, const struct ast_set *statement, struct diag *diag)
{
    switch (statement->kind) {
    case AST_SET_VALUE:
        if (strcmp(statement->name, "role") == 0 ||
            strcmp(statement->name, "session_authorization") == 0) {
            const char *role = join_values(session, statement->name, statement->values);
            if (strcmp(role, session->user) == 0 || strcmp(role, "none") == 0) {
                return ERR_OK;
            }
            return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "changing the role is not supported");
        }
        return change(session, statement->name,
            join_values(session, statement->name, statement->values), statement->local, diag);
    case AST_SET_DEFAULT:
    case AST_SET_RESET:
        return change(session, statement->name, NULL, statement->local, diag);
    case AST_SET_RESET_ALL:
        return settings__reset_all(session, diag);
    case AST_SET_FROM_CURRENT:
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "SET ... FROM CURRENT is not supported");
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

enum err
settings__reset_all(struct sql_session *session, struct diag *diag)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (session->values[i] != NULL &&
            (settings[i].flags & (SETTING_READ_ONLY | SETTING_SERVER)) == 0) {
            TRY(change(session, settings[i].name, NULL, false, diag));
        }
    }
    return ERR_OK;
}

/* The next word, or NULL; a backslash takes the character behind it as it is (pg_split_opts). */
static char *
next_option(char **rest)
{
    char *from = *rest + strspn(*rest, " \t\n\r\f\v");
    if (*from == '\0') {
        return NULL;
    }
    char *to = from;
    char *word = to;
    while (*from != '\0' && strchr(" \t\n\r\f\v", *from) == NULL) {
        from += from[0] == '\\' && from[1] != '\0';
        *to++ = *from++;
    }
    *rest = *from == '\0' ? from : from + 1;
    *to = '\0';
    return word;
}

/* -c name=value or --name=value, any number of them. */
static enum err
start_options(struct sql_session *session, char *text, struct diag *diag)
{
    char *word;
    while ((word = next_option(&text)) != NULL) {
        if (strcmp(word, "-c") == 0) {
            continue;
        }
        word += strncmp(word, "-c", 2) == 0 || strncmp(word, "--", 2) == 0 ? 2 : 0;
        char *equals = strchr(word, '=');
        if (equals == NULL) {
            return diag_set(
                diag, ERR_SYNTAX, "invalid command-line argument for server process: %s", word);
        }
        *equals = '\0';
        TRY(settings__start(session, word, equals + 1, diag));
    }
    return ERR_OK;
}

enum err
settings__start(struct sql_session *session, const char *name, const char *value, struct diag *diag)
{
    if (strcmp(name, "options") == 0) {
        return start_options(session, arena_strdup(&session->statement, value), diag);
    }
    int index = find(name);
    if (index == UNKNOWN) {
        return unknown(name, diag);
    }
    if (index == CUSTOM) {
        put_custom(session, name, mem_strdup(value));
        return ERR_OK;
    }
    if ((settings[index].flags & (SETTING_READ_ONLY | SETTING_SERVER)) != 0) {
        return diag_set(diag, ERR_CANT_CHANGE_PARAMETER, "parameter \"%s\" cannot be changed",
            settings[index].name);
    }
    char *checked = NULL;
    TRY(check(session, &settings[index], value, &checked, diag));
    mem_free(session->values[index]);
    session->values[index] = checked;
    apply(session, index);
    return ERR_OK;
}

/* ---- the end of transactions
 * ----------------------------------------------------------------------- */

static void
undo(struct sql_session *session, struct setting_change *change)
{
    if (change->index != UINT32_MAX) {
        put(session, (int)change->index, change->before);
    } else {
        put_custom(session, change->name, change->before);
    }
    change->before = NULL;
}

static void
drop(struct setting_change *change)
{
    mem_free(change->name);
    mem_free(change->before);
    mem_free(change);
}

void
settings__commit(struct sql_session *session)
{
    /* SET LOCAL goes back to what was there before the transaction's first local change of it...
     * newest first, so that the oldest has the last word. */
    while (session->changes != NULL) {
        struct setting_change *change = session->changes;
        session->changes = change->older;
        if (change->local) {
            undo(session, change);
        }
        drop(change);
    }
}

void
settings__rollback(struct sql_session *session, uint32_t savepoints)
{
    while (session->changes != NULL && session->changes->savepoints >= savepoints) {
        struct setting_change *change = session->changes;
        session->changes = change->older;
        undo(session, change);
        drop(change);
    }
}

void
settings__create(struct sql_session *session)
{
    session->values = mem_array(SETTING_COUNT, sizeof *session->values);
    for (int i = 0; i < SETTING_COUNT; i++) {
        apply(session, i);
    }
}

void
settings__destroy(struct sql_session *session)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        mem_free(session->values[i]);
    }
    mem_free(session->values);
    free_path(session);
    while (session->untold != NULL) {
        struct setting_told *told = session->untold;
        session->untold = told->next;
        mem_free(told->told);
        mem_free(told);
    }
    while (session->customs != NULL) {
        struct setting_custom *custom = session->customs;
        session->customs = custom->next;
        mem_free(custom->name);
        mem_free(custom->value);
        mem_free(custom);
    }
    while (session->changes != NULL) {
        struct setting_change *change = session->changes;
        session->changes = change->older;
        drop(change);
    }
}
