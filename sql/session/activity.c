/*
 * sql/session/activity.c - pg_stat_activity: what each session is at.
 *
 * A session writes its own line under its own latch, which nobody else wants but who looks at the
 * view: that is two atomic operations on a line of cache it has already. Names and times that do
 * not change are read while the session is in engine->sessions.
 */
#include <string.h>

#include "base/mem.h"
#include "sql/catalog/access.h"
#include "sql/catalog/progress.h"
#include "sql/session/session_internal.h"

/* The text ends with a whole character. */
static size_t
clip(const char *text, size_t size)
{
    if (size < QUERY_SHOWN_MAX) {
        return size;
    }
    size = QUERY_SHOWN_MAX - 1;
    while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80) {
        size--;
    }
    return size;
}

/* Under the latch. */
static void
keep_text(struct sql_session *session, const char *text, size_t size)
{
    size = clip(text, size);
    if (size > session->query_capacity) {
        session->query_capacity = (uint32_t)(size + 63) & ~63U;
        session->query = mem_realloc(session->query, session->query_capacity);
    }
    if (size > 0) {
        memcpy(session->query, text, size);
    }
    session->query_size = (uint32_t)size;
}

void
activity__starts(struct sql_session *session, const char *text, size_t size)
{
    settings__refresh(session);
    int64_t now = world_wall_us(session->engine->world) - EPOCH_US;
    session->env.statement_time = now;
    latch_acquire(&session->activity_latch);
    if (session->activity != ACTIVITY_ACTIVE) {
        session->activity = ACTIVITY_ACTIVE;
        session->activity_changed = now;
        session->query_started = now;
        session->block_started = session->block == BLOCK_NONE ? now : session->env.transaction_time;
    }
    if (text != NULL) {
        keep_text(session, text, size);
        session->query_started = now;
    }
    latch_release(&session->activity_latch);
}

/* A statement that took long, with its beginning; lines of it become one. */
static void
log_slow(struct sql_session *session, int64_t time_us)
{
    char text[QUERY_SHOWN_MAX + 1];
    for (uint32_t i = 0; i < session->query_size; i++) {
        text[i] = session->query[i] == '\n' || session->query[i] == '\r' ? ' ' : session->query[i];
    }
    text[session->query_size] = '\0';
    world_log(session->engine->world,
        "duration: %.3f ms  pid: %u  user: %s  database: %s  application: %s  statement: %s",
        (double)time_us / 1000, session->pid, session->user, session->database,
        session->application_name, text);
}

void
activity__ends(struct sql_session *session)
{
    int64_t now = world_wall_us(session->engine->world) - EPOCH_US;
    int64_t time_us = now - session->query_started;
    if (session->log_statement_us >= 0 && session->query_size > 0 &&
        session->activity == ACTIVITY_ACTIVE && time_us >= session->log_statement_us) {
        log_slow(session, time_us);
    }
    if (session->activity == ACTIVITY_ACTIVE) {
        metrics__exchange(session, now - session->activity_changed);
    }
    enum session_activity activity = session->block == BLOCK_NONE     ? ACTIVITY_IDLE
                                     : session->block == BLOCK_FAILED ? ACTIVITY_IN_FAILED_BLOCK
                                                                      : ACTIVITY_IN_BLOCK;
    latch_acquire(&session->activity_latch);
    session->activity = activity;
    session->activity_changed = now;
    session->block_started = activity == ACTIVITY_IDLE ? 0 : session->env.transaction_time;
    latch_release(&session->activity_latch);
}

void
activity__progress(struct sql_session *session, struct progress *progress)
{
    latch_acquire(&session->activity_latch);
    session->progress = progress;
    latch_release(&session->activity_latch);
}

/* ---- the view -------------------------------------------------------------------------------- */

/* Copied under latches, shown without: emitting may take its time. */
struct activity {
    uint32_t pid;
    enum session_activity state;
    int64_t started, block_started, query_started, changed;
    int client_port;
    uint32_t query_size;
    char client_address[64];
    char user[NAME_MAX_BYTES + 1];
    char database[NAME_MAX_BYTES + 1];
    oid_t database_oid;
    char application_name[NAME_MAX_BYTES + 1];
    char query[QUERY_SHOWN_MAX];
};

static void
copy_name(char to[NAME_MAX_BYTES + 1], const char *name)
{
    size_t size = strnlen(name, NAME_MAX_BYTES);
    memcpy(to, name, size);
    to[size] = '\0';
}

static void
copy_activity(struct activity *to, struct sql_session *session)
{
    to->pid = session->pid;
    to->started = session->started;
    to->client_port = session->client_port;
    memcpy(to->client_address, session->client_address, sizeof to->client_address);
    copy_name(to->user, session->user);
    copy_name(to->database, session->database);
    to->database_oid = session->database_oid;
    copy_name(to->application_name, session->application_name);
    latch_acquire(&session->activity_latch);
    to->state = session->activity;
    to->block_started = session->block_started;
    to->query_started = session->query_started;
    to->changed = session->activity_changed;
    to->query_size = session->query_size;
    if (session->query_size > 0) {
        memcpy(to->query, session->query, session->query_size);
    }
    latch_release(&session->activity_latch);
}

/* What a session of this role does: its own members and superusers may know. */
static bool
may_look(const struct eval *eval, const struct catalog *catalog, const struct role *role)
{
    return role != NULL &&
           catalog_owns(catalog, catalog_current_role(catalog, eval->env), role->oid);
}

static struct activity *
copy_activities(struct sql_engine *engine, struct arena *arena, uint32_t *count)
{
    /* No memory is allocated under the latch; who comes in between the two is not shown. */
    uint32_t room = sql_engine_session_count(engine);
    struct activity *all = arena_alloc_raw(arena, room * sizeof *all);
    *count = 0;
    latch_acquire(&engine->latch);
    LIST_FOREACH (node, &engine->sessions) {
        if (*count == room) {
            break;
        }
        copy_activity(&all[(*count)++], LIST_ENTRY(node, struct sql_session, node));
    }
    latch_release(&engine->latch);
    return all;
}

static struct datum
text_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? datum_null() : datum_bytes(text, strlen(text));
}

static struct datum
time_or_null(int64_t time)
{
    return time == 0 ? datum_null() : datum_int(time);
}

struct wait_words {
    const char *type, *event;
};

static struct wait_words
words_of(const struct activity *activity, const struct txn_session_line *line)
{
    static const struct wait_words words[] = {
        [TXN_WAITS_ROW] = {"Lock", "tuple"},
        [TXN_WAITS_TABLE] = {"Lock", "relation"},
        [TXN_WAITS_TXN] = {"Lock", "transactionid"},
        [TXN_WAITS_ADVISORY] = {"Lock", "advisory"},
        [TXN_WAITS_DISK] = {"IO", "WALSync"},
        [TXN_WAITS_SAFE_SNAPSHOT] = {"IPC", "SafeSnapshot"},
    };
    if (activity->state != ACTIVITY_ACTIVE) {
        return (struct wait_words){"Client", "ClientRead"};
    }
    return line == NULL ? (struct wait_words){0} : words[line->wait];
}

static enum err
scan_activity(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    enum {
        DATID = 0,
        DATNAME = 1,
        PID = 2,
        USESYSID = 4,
        USENAME = 5,
        APPLICATION_NAME = 6,
        CLIENT_ADDR = 7,
        CLIENT_PORT = 9,
        BACKEND_START = 10,
        XACT_START = 11,
        QUERY_START = 12,
        STATE_CHANGE = 13,
        WAIT_EVENT_TYPE = 14,
        WAIT_EVENT = 15,
        STATE = 16,
        BACKEND_XID = 17,
        QUERY = 20,
        BACKEND_TYPE = 21,
        COLUMNS = 22,
    };
    static const char *const states[] = {
        "idle", "active", "idle in transaction", "idle in transaction (aborted)"};
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct sql_engine *engine = eval->env->session->engine;
    uint32_t count = 0;
    const struct activity *all = copy_activities(engine, eval->arena, &count);
    struct txn_session_line *lines;
    size_t line_count = txn_db_sessions(engine->db, eval->arena, &lines);
    for (uint32_t i = 0; i < count; i++) {
        const struct activity *one = &all[i];
        const struct txn_session_line *line = NULL;
        for (size_t l = 0; l < line_count && line == NULL; l++) {
            line = lines[l].owner_pid == one->pid ? &lines[l] : NULL;
        }
        const struct role *role = catalog_role(catalog, one->user);
        struct wait_words wait = words_of(one, line);
        struct datum values[COLUMNS];
        for (int c = 0; c < COLUMNS; c++) {
            values[c] = datum_null();
        }
        values[DATID] = one->database_oid == 0 ? datum_null() : datum_int(one->database_oid);
        values[DATNAME] = text_or_null(one->database);
        values[PID] = datum_int(one->pid);
        values[USESYSID] = role == NULL ? datum_null() : datum_int(role->oid);
        values[USENAME] = text_or_null(one->user);
        values[APPLICATION_NAME] =
            datum_bytes(one->application_name, strlen(one->application_name));
        if (line != NULL && line->id != 0) {
            values[BACKEND_XID] =
                text_or_null(arena_printf(eval->arena, "%llu", (unsigned long long)line->id));
        }
        if (!may_look(eval, catalog, role)) {
            static const char hidden[] = "<insufficient privilege>";
            values[QUERY] = datum_bytes(hidden, sizeof hidden - 1);
        } else {
            values[CLIENT_ADDR] = text_or_null(one->client_address);
            values[CLIENT_PORT] =
                one->client_address[0] == '\0' ? datum_null() : datum_int(one->client_port);
            values[BACKEND_START] = datum_int(one->started);
            values[XACT_START] = time_or_null(one->block_started);
            values[QUERY_START] = time_or_null(one->query_started);
            values[STATE_CHANGE] = time_or_null(one->changed);
            values[WAIT_EVENT_TYPE] = text_or_null(wait.type);
            values[WAIT_EVENT] = text_or_null(wait.event);
            values[STATE] = text_or_null(states[one->state]);
            values[QUERY] = datum_bytes(one->query, one->query_size);
            values[BACKEND_TYPE] = text_or_null("client backend");
        }
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

/* ---- pg_stat_ssl ----------------------------------------------------------------------------- */

struct encrypted {
    uint32_t pid;
    bool tls;
    struct world_tls_info info;
};

static enum err
emit_encrypted(struct eval *eval, const struct encrypted *one,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    enum {
        PID,
        SSL,
        VERSION,
        CIPHER,
        BITS,
        CLIENT_DN,
        CLIENT_SERIAL,
        ISSUER_DN,
        COLUMNS,
    };
    struct datum values[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        values[c] = datum_null();
    }
    values[PID] = datum_int(one->pid);
    values[SSL] = datum_bool(one->tls);
    if (one->tls) {
        values[VERSION] = text_or_null(one->info.version);
        values[CIPHER] = text_or_null(one->info.cipher);
        values[BITS] = datum_int(one->info.bits);
        values[CLIENT_DN] = text_or_null(one->info.subject);
        values[ISSUER_DN] = text_or_null(one->info.issuer);
        if (one->info.serial[0] != '\0') {
            TRY(type_input(eval, TYPE_NUMERIC, -1,
                slice_of(one->info.serial, strlen(one->info.serial)), &values[CLIENT_SERIAL]));
        }
    }
    return emit(arg, values);
}

static enum err
scan_ssl(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    (void)catalog;
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct sql_engine *engine = eval->env->session->engine;
    uint32_t room = sql_engine_session_count(engine);
    struct encrypted *all = arena_alloc_raw(eval->arena, room * sizeof *all);
    uint32_t count = 0;
    latch_acquire(&engine->latch);
    LIST_FOREACH (node, &engine->sessions) {
        const struct sql_session *session = LIST_ENTRY(node, struct sql_session, node);
        if (count == room) {
            break;
        }
        all[count].pid = session->pid;
        all[count].tls = session->tls != NULL;
        if (session->tls != NULL) {
            all[count].info = *session->tls;
        }
        count++;
    }
    latch_release(&engine->latch);
    for (uint32_t i = 0; i < count; i++) {
        TRY(emit_encrypted(eval, &all[i], emit, arg));
    }
    return ERR_OK;
}

/* ---- pg_stat_progress_create_index, pg_stat_progress_copy ---------------------------------------
 */

struct work {
    uint32_t pid;
    char user[NAME_MAX_BYTES + 1];
    char database[NAME_MAX_BYTES + 1];
    oid_t database_oid;
    const char *command;
    uint64_t numbers[PROGRESS_NUMBERS];
};

static bool
copies(const char *command)
{
    return strncmp(command, "COPY", 4) == 0;
}

/* Of all sessions that copy, or (copy false) that build an index. */
static struct work *
copy_works(struct sql_engine *engine, struct arena *arena, bool copy, uint32_t *count)
{
    uint32_t room = sql_engine_session_count(engine);
    struct work *all = arena_alloc_raw(arena, room * sizeof *all);
    *count = 0;
    latch_acquire(&engine->latch);
    LIST_FOREACH (node, &engine->sessions) {
        struct sql_session *session = LIST_ENTRY(node, struct sql_session, node);
        struct work *work = &all[*count];
        if (*count == room) {
            break;
        }
        latch_acquire(&session->activity_latch);
        const struct progress *progress = session->progress;
        bool shown = progress != NULL && copies(progress->command) == copy &&
                     (copy || progress_get(progress, PROGRESS_PHASE) != PROGRESS_BEGUN);
        if (shown) {
            work->command = progress->command;
            for (int i = 0; i < PROGRESS_NUMBERS; i++) {
                work->numbers[i] = progress_get(progress, (enum progress_of)i);
            }
        }
        latch_release(&session->activity_latch);
        if (shown) {
            work->pid = session->pid;
            copy_name(work->user, session->user);
            copy_name(work->database, session->database);
            work->database_oid = session->database_oid;
            (*count)++;
        }
    }
    latch_release(&engine->latch);
    return all;
}

static struct datum
number_of(const struct work *work, enum progress_of of)
{
    return datum_int((int64_t)work->numbers[of]);
}

/* Both views begin with pid, datid, datname, relid. True: the rest may be shown as well. */
static bool
put_work(struct eval *eval, const struct catalog *catalog, const struct work *work,
    struct datum *values, int count)
{
    enum {
        PID,
        DATID,
        DATNAME,
        RELID,
    };
    for (int i = 0; i < count; i++) {
        values[i] = datum_null();
    }
    values[PID] = datum_int(work->pid);
    values[DATID] = datum_int(work->database_oid);
    values[DATNAME] = text_or_null(work->database);
    const struct role *role = catalog_role(catalog, work->user);
    bool seen = may_look(eval, catalog, role);
    if (seen) {
        values[RELID] = number_of(work, PROGRESS_RELATION);
    }
    return seen;
}

static enum err
scan_index_builds(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    enum {
        INDEX_RELID = 4,
        COMMAND,
        PHASE,
        LOCKERS_TOTAL,
        LOCKERS_DONE,
        CURRENT_LOCKER_PID,
        BLOCKS_TOTAL,
        BLOCKS_DONE,
        TUPLES_TOTAL,
        TUPLES_DONE,
        PARTITIONS_TOTAL,
        PARTITIONS_DONE,
        COLUMNS,
    };
    static const char *const phases[] = {
        [PROGRESS_SCANNING] = "building index: scanning table",
        [PROGRESS_SORTING] = "building index: sorting live tuples",
        [PROGRESS_LOADING] = "building index: loading tuples in tree",
    };
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    uint32_t count = 0;
    const struct work *all = copy_works(eval->env->session->engine, eval->arena, false, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct work *work = &all[i];
        struct datum values[COLUMNS];
        if (put_work(eval, catalog, work, values, COLUMNS)) {
            values[INDEX_RELID] = number_of(work, PROGRESS_INDEX);
            values[COMMAND] = text_or_null(work->command);
            values[PHASE] = text_or_null(phases[work->numbers[PROGRESS_PHASE]]);
            for (int c = LOCKERS_TOTAL; c < COLUMNS; c++) {
                values[c] = datum_int(0);
            }
            values[TUPLES_TOTAL] = number_of(work, PROGRESS_TOTAL);
            values[TUPLES_DONE] = number_of(work, PROGRESS_DONE);
        }
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

static enum err
scan_copies(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    enum {
        COMMAND = 4,
        TYPE,
        BYTES_PROCESSED,
        BYTES_TOTAL,
        TUPLES_PROCESSED,
        TUPLES_EXCLUDED,
        COLUMNS,
    };
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    uint32_t count = 0;
    const struct work *all = copy_works(eval->env->session->engine, eval->arena, true, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct work *work = &all[i];
        struct datum values[COLUMNS];
        if (put_work(eval, catalog, work, values, COLUMNS)) {
            values[COMMAND] = text_or_null(work->command);
            values[TYPE] = text_or_null("PIPE");
            values[BYTES_PROCESSED] = number_of(work, PROGRESS_BYTES);
            values[BYTES_TOTAL] = datum_int(0);
            values[TUPLES_PROCESSED] = number_of(work, PROGRESS_DONE);
            values[TUPLES_EXCLUDED] = number_of(work, PROGRESS_EXCLUDED);
        }
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

void
activity__register(void)
{
    catalog_set_virtual_scan("pg_stat_progress_create_index", scan_index_builds);
    catalog_set_virtual_scan("pg_stat_progress_copy", scan_copies);
    catalog_set_virtual_scan("pg_stat_activity", scan_activity);
    catalog_set_virtual_scan("pg_stat_ssl", scan_ssl);
}
