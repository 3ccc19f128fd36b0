/*
 * shell/progress.c - how far a long work is, on one line of the terminal.
 *
 * \copy knows it by itself. While CREATE INDEX or ALTER TABLE .. MOVE BUCKET runs its connection is
 * busy, so a second one asks the server (pg_stat_progress_create_index, as PostgreSQL has it;
 * tusk_moves), from the time on when somebody might wonder.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "shell/shell.h"
#include "wire/wire.h"

enum {
    STEP_US = 500000,
    WATCH_AFTER_US = 1000000,
    BAR_SIZE = 20,
};

static bool
somebody_looks(const struct shell *shell)
{
    return !shell->quiet && isatty(STDERR_FILENO) != 0;
}

/* The terminal's line begins anew with "[####....]  20 % ". */
static void
put_bar(unsigned percent)
{
    char bar[BAR_SIZE + 1] = "....................";
    percent = percent > 100 ? 100 : percent;
    memset(bar, '#', percent * BAR_SIZE / 100);
    (void)fprintf(stderr, "\r[%s] %3u %% ", bar, percent);
}

static void
clear_line(void)
{
    (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
}

/* ---- data ------------------------------------------------------------------------------------ */

void
progress_start(struct progress *progress, const struct shell *shell)
{
    struct stat facts;
    *progress = (struct progress){.start_us = world_clock_us(shell->world)};
    progress->last_us = progress->start_us;
    if (fstat(fileno(shell->copy_file), &facts) == 0 && S_ISREG(facts.st_mode)) {
        progress->total = (uint64_t)facts.st_size;
    }
}

void
progress_add(struct progress *progress, const struct shell *shell, size_t bytes)
{
    progress->done += bytes;
    int64_t now = world_clock_us(shell->world);
    if (now - progress->last_us < STEP_US || !somebody_looks(shell)) {
        return;
    }
    double mib = (double)progress->done / (1 << 20);
    double rate = mib * 1e6 / (double)(now - progress->start_us);
    progress->last_us = now;
    progress->shown = true;
    if (progress->total > 0) {
        put_bar((unsigned)(progress->done * 100 / progress->total));
    } else {
        (void)fputs("\r", stderr);
    }
    (void)fprintf(stderr, "%.1f MiB, %.1f MiB/s ", mib, rate);
    (void)fflush(stderr);
}

void
progress_end(struct progress *progress)
{
    if (progress->shown) {
        clear_line();
    }
    progress->shown = false;
}

/* ---- index builds, moves
 * ---------------------------------------------------------------------------- */

/* (S6) */
struct watch {
    struct shell *shell;
    struct connection connection; /* the second one */
    int64_t start_us;
    bool moves; /* else it may build an index */
    bool plan;  /* many moves */
    bool open, failed, shown;
    bool canceled; /* Ctrl-C came while we asked: it is meant for the statement */
};

/* Wherever the words stand: at worst a view is asked in vain. */
static bool
has_words(const char *text, size_t size, const char *words)
{
    for (size_t at = 0; at + strlen(words) <= size; at++) {
        if (strncasecmp(text + at, words, strlen(words)) == 0) {
            return true;
        }
    }
    return false;
}

static bool
may_take_long(const char *text, size_t size)
{
    static const char *const words[] = {"create", "alter", "reindex"};
    size_t at = 0;
    while (at < size && strchr(" \t\r\n", text[at]) != NULL) {
        at++;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]);
        if (size - at > length && strncasecmp(text + at, words[i], length) == 0) {
            return true;
        }
    }
    return false;
}

static char *
no_password(void *arg)
{
    (void)arg;
    return NULL;
}

static void
on_cancel(void *arg)
{
    struct watch *watch = arg;
    watch->canceled = true;
}

static bool
open_watch(struct watch *watch)
{
    const struct connection *first = &watch->shell->connection;
    struct connection *second = &watch->connection;
    struct diag *diag = mem_zalloc(sizeof *diag);
    connection_copy_target(second, first);
    second->ask_password = no_password;
    second->on_cancel = on_cancel;
    second->arg = watch;
    watch->open = connection_open(second, diag) == ERR_OK;
    mem_free(diag);
    return watch->open;
}

enum {
    FIELDS_MAX = 5,
    FIELD_SIZE = 64,
};

static void
read_fields(struct slice body, char fields[FIELDS_MAX][FIELD_SIZE])
{
    struct wire_reader reader = wire_reader_of(body);
    size_t count = wire_get_u16(&reader);
    for (size_t i = 0; i < FIELDS_MAX; i++) {
        uint32_t size = i < count ? wire_get_u32(&reader) : UINT32_MAX;
        struct slice bytes = size == UINT32_MAX ? slice_of("", 0) : wire_get_bytes(&reader, size);
        (void)snprintf(fields[i], FIELD_SIZE, "%.*s", reader.failed ? 0 : (int)bytes.size,
            (const char *)bytes.data);
    }
}

/* How many rows a bucket has nobody knows before they are sent. */
static void
show_move(struct watch *watch, struct slice body)
{
    enum {
        BUCKET,
        PHASE,
        ROWS,
        BYTES,
        LEFT,
    };
    char fields[FIELDS_MAX][FIELD_SIZE];
    read_fields(body, fields);
    (void)fprintf(stderr, "\r%s%sbucket %s %s: %s rows, %.1f MiB, %.0f s \033[K", fields[LEFT],
        fields[LEFT][0] == '\0' ? "" : " to move, ", fields[BUCKET], fields[PHASE], fields[ROWS],
        strtod(fields[BYTES], NULL) / (1 << 20),
        (double)(world_clock_us(watch->shell->world) - watch->start_us) / 1e6);
    (void)fflush(stderr);
    watch->shown = true;
}

/* The build's phase, and how much of all is done: first the table is read, then the tree filled. */
static void
show_build(struct watch *watch, struct slice body)
{
    enum {
        PHASE,
        BLOCKS_DONE,
        BLOCKS_TOTAL,
        TUPLES_DONE,
        TUPLES_TOTAL,
    };
    static const char before[] = "building index: ";
    char fields[FIELDS_MAX][FIELD_SIZE];
    read_fields(body, fields);
    const char *phase = fields[PHASE];
    bool loads = strstr(phase, "loading") != NULL;
    bool sorts = strstr(phase, "sorting") != NULL;
    bool blocks = !loads && strtoull(fields[BLOCKS_TOTAL], NULL, 10) > 0;
    uint64_t done = strtoull(fields[blocks ? BLOCKS_DONE : TUPLES_DONE], NULL, 10);
    uint64_t total = strtoull(fields[blocks ? BLOCKS_TOTAL : TUPLES_TOTAL], NULL, 10);
    done = done > total ? total : done;
    unsigned part = total == 0 || sorts ? 0 : (unsigned)(done * 50 / total);
    put_bar((loads || sorts ? 50 : 0) + part);
    (void)fprintf(stderr, "%s, %.0f s \033[K",
        strncmp(phase, before, strlen(before)) == 0 ? phase + strlen(before) : phase,
        (double)(world_clock_us(watch->shell->world) - watch->start_us) / 1e6);
    (void)fflush(stderr);
    watch->shown = true;
}

static bool
ask(struct watch *watch, struct diag *diag)
{
    char text[256] = "select bucket, phase, rows, bytes from pg_catalog.tusk_moves "
                     "where role = 'sends' order by bucket limit 1";
    if (watch->plan) {
        (void)snprintf(text, sizeof text,
            "select bucket, phase, rows, bytes, (select sum(to_move) from "
            "pg_catalog.tusk_router_plans) from pg_catalog.tusk_moves where role = 'sends' "
            "order by bucket limit 1");
    }
    if (!watch->moves) {
        (void)snprintf(text, sizeof text,
            "select phase, blocks_done, blocks_total, tuples_done, tuples_total "
            "from pg_catalog.pg_stat_progress_create_index where pid = %u",
            watch->shell->connection.process_id);
    }
    bool ok = connection_query(&watch->connection, text, strlen(text), diag) == ERR_OK;
    while (ok) {
        struct message message;
        ok = connection_next(&watch->connection, &message, diag) == ERR_OK && message.type != 'E';
        if (!ok || message.type == 'Z') {
            break;
        }
        if (message.type == 'D' && watch->moves) {
            show_move(watch, message.body);
        } else if (message.type == 'D') {
            show_build(watch, message.body);
        }
    }
    return ok;
}

static void
on_wait(void *arg)
{
    struct watch *watch = arg;
    struct shell *shell = watch->shell;
    if (watch->failed || world_clock_us(shell->world) - watch->start_us < WATCH_AFTER_US) {
        return;
    }
    struct diag *diag = mem_zalloc(sizeof *diag);
    watch->failed = (!watch->open && !open_watch(watch)) || !ask(watch, diag);
    mem_free(diag);
    if (watch->canceled) {
        watch->canceled = false;
        task_interrupt(shell->task, TASK_CANCEL);
    }
}

struct watch *
watch_start(struct shell *shell, const char *text, size_t size)
{
    if (!somebody_looks(shell) || !may_take_long(text, size)) {
        return NULL;
    }
    struct watch *watch = mem_zalloc(sizeof *watch);
    watch->shell = shell;
    watch->plan = has_words(text, size, "drain node") || has_words(text, size, "rebalance");
    watch->moves = watch->plan || has_words(text, size, "move bucket");
    watch->start_us = world_clock_us(shell->world);
    shell->connection.on_wait = on_wait;
    shell->connection.on_wait_arg = watch;
    return watch;
}

void
watch_message(struct watch *watch)
{
    if (watch != NULL && watch->shown) {
        clear_line();
        watch->shown = false;
    }
}

void
watch_end(struct watch *watch)
{
    if (watch == NULL) {
        return;
    }
    watch_message(watch);
    watch->shell->connection.on_wait = NULL;
    connection_destroy(&watch->connection);
    mem_free(watch);
}
