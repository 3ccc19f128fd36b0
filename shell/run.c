/* shell/run.c - statements to the server, results to the terminal. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "shell/shell.h"
#include "wire/wire.h"

enum {
    COPY_CHUNK_SIZE = 32 * 1024,
    CARET_LINE_WIDTH = 60, /* of the statement's line shown over the caret */
    CARET_RIGHT_MIN = 10,  /* of it to the right of the caret, where it must be cut */
};

/* ---- words ----------------------------------------------------------------------------------- */

static void
put_place(const struct shell *shell)
{
    (void)fflush(stdout);
    (void)fputs("tusk:", stderr);
    if (shell->source != NULL && shell->source->name != NULL) {
        (void)fprintf(stderr, "%s:%u:", shell->source->name, shell->source->line);
    }
    (void)fputc(' ', stderr);
}

void
shell_error(struct shell *shell, const char *fmt, ...)
{
    bool named = shell->source != NULL && shell->source->name != NULL;
    (void)fflush(stdout);
    if (named || shell->connection.socket == NULL) { /* else: who speaks is plain */
        put_place(shell);
        (void)fputs("error: ", stderr);
    }
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

/* "LINE 2: ..." and a caret below character `position` (from 1) of `text`. */
static void
put_caret(const struct shell *shell, const char *text, size_t size, size_t position)
{
    size_t at = 0; /* byte of that character */
    for (size_t i = 1; i < position && at < size; i++) {
        size_t taken;
        (void)print_char_width((const uint8_t *)text + at, size - at, &taken);
        at += taken;
    }
    size_t begin = at;
    while (begin > 0 && text[begin - 1] != '\n') {
        begin--;
    }
    const char *newline = memchr(text + at, '\n', size - at);
    size_t end = newline == NULL ? size : (size_t)(newline - text);
    if (end > begin && text[end - 1] == '\r') {
        end--;
    }
    unsigned line = 1;
    for (size_t i = 0; i < begin; i++) {
        line += text[i] == '\n';
    }

    /* The line's characters: where each begins, and in which column. */
    size_t *bytes = mem_array(end - begin + 2, sizeof *bytes);
    size_t *columns = mem_array(end - begin + 2, sizeof *columns);
    size_t count = 0;
    size_t caret = 0;
    size_t column = 0;
    for (size_t i = begin; i < end;) {
        size_t taken;
        caret = i < at ? count + 1 : caret;
        bytes[count] = i;
        columns[count++] = column;
        column += print_char_width((const uint8_t *)text + i, end - i, &taken);
        i += taken;
    }
    bytes[count] = end;
    columns[count] = column;
    caret = caret > count ? count : caret;

    size_t first = 0;
    size_t last = count;
    if (columns[last] > CARET_LINE_WIDTH) {
        if (CARET_LINE_WIDTH >= columns[caret] + CARET_RIGHT_MIN) {
            while (columns[last] > CARET_LINE_WIDTH) {
                last--;
            }
        } else {
            while (columns[caret] + CARET_RIGHT_MIN < columns[last]) {
                last--;
            }
            while (columns[last] - columns[first] > CARET_LINE_WIDTH) {
                first++;
            }
        }
    }
    int indent = fprintf(stderr, "LINE %u: %s", line, first > 0 ? "..." : "");
    for (size_t i = bytes[first]; i < bytes[last]; i++) {
        (void)fputc(text[i] == '\t' ? ' ' : text[i], stderr);
    }
    (void)fprintf(stderr, "%s\n%*s%s^%s\n", last < count ? "..." : "",
        indent + (int)(columns[caret] - columns[first]), "", shell->color ? "\033[1;31m" : "",
        shell->color ? "\033[0m" : "");
    mem_free(bytes);
    mem_free(columns);
}

/* "ERROR:  words", in colour where the terminal has it. */
static void
put_severity(const struct shell *shell, struct slice body, enum verbosity verbosity)
{
    const char *severity = wire_error_field(body, 'S');
    const char *kind = wire_error_field(body, 'V');
    const char *paint = kind[0] == 'E' || kind[0] == 'F' || kind[0] == 'P' ? "\033[1;31m"
                        : kind[0] == 'W'                                   ? "\033[1;35m"
                                                                           : "\033[1;36m";
    const char *code = wire_error_field(body, 'C');
    const char *words = wire_error_field(body, 'M');
    (void)fprintf(
        stderr, "%s%s:%s  ", shell->color ? paint : "", severity, shell->color ? "\033[0m" : "");
    if (verbosity == VERBOSITY_SQLSTATE) {
        (void)fprintf(stderr, "%s", code);
    } else if (verbosity == VERBOSITY_VERBOSE) {
        (void)fprintf(stderr, "%s: %s", code, words);
    } else {
        (void)fputs(words, stderr);
    }
    const char *position = wire_error_field(body, 'P');
    if (verbosity == VERBOSITY_TERSE && position[0] != '\0') {
        (void)fprintf(stderr, " at character %s", position);
    }
    (void)fputc('\n', stderr);
}

static void
put_location(struct slice body)
{
    const char *function = wire_error_field(body, 'R');
    const char *file = wire_error_field(body, 'F');
    if (file[0] != '\0') {
        (void)fprintf(stderr, "LOCATION:  %s%s%s:%s\n", function, function[0] == '\0' ? "" : ", ",
            file, wire_error_field(body, 'L'));
    }
}

static void
put_verbose(struct slice body)
{
    const struct {
        char field;
        const char *label;
    } names[] = {{'s', "SCHEMA NAME"}, {'t', "TABLE NAME"}, {'c', "COLUMN NAME"},
        {'d', "DATATYPE NAME"}, {'n', "CONSTRAINT NAME"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *words = wire_error_field(body, names[i].field);
        if (words[0] != '\0') {
            (void)fprintf(stderr, "%s:  %s\n", names[i].label, words);
        }
    }
    put_location(body);
}

/* An ErrorResponse or NoticeResponse. `text`: the statement, or NULL. */
static void
put_response(struct shell *shell, struct slice body, const char *text, size_t size, bool notice,
    enum verbosity verbosity)
{
    (void)fflush(stdout);
    if (shell->source != NULL && shell->source->name != NULL) {
        put_place(shell);
    }
    put_severity(shell, body, verbosity);
    if (verbosity == VERBOSITY_TERSE || verbosity == VERBOSITY_SQLSTATE) {
        return;
    }
    size_t position = strtoul(wire_error_field(body, 'P'), NULL, 10);
    size_t inner_position = strtoul(wire_error_field(body, 'p'), NULL, 10);
    const char *inner = wire_error_field(body, 'q');
    if (position > 0 && text != NULL) {
        put_caret(shell, text, size, position);
    } else if (inner_position > 0 && inner[0] != '\0') {
        put_caret(shell, inner, strlen(inner), inner_position);
    }
    const struct {
        char field;
        const char *label;
    } more[] = {{'D', "DETAIL"}, {'H', "HINT"}, {'q', "QUERY"}, {'W', "CONTEXT"}};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        const char *words = wire_error_field(body, more[i].field);
        bool shown = more[i].field != 'W' || !notice || verbosity == VERBOSITY_VERBOSE;
        if (words[0] != '\0' && shown) {
            (void)fprintf(stderr, "%s:  %s\n", more[i].label, words);
        }
    }
    if (verbosity == VERBOSITY_VERBOSE) {
        put_verbose(body);
    }
}

void
shell_error_again(struct shell *shell)
{
    const struct buffer *body = &shell->last_error;
    if (body->size == 0) {
        (void)puts("There is no previous error.");
        return;
    }
    const struct buffer *text = &shell->previous;
    put_response(shell, slice_of(body->data, body->size), (const char *)text->data, text->size,
        false, VERBOSITY_VERBOSE);
}

static void
on_notice(void *arg, struct slice body)
{
    const struct shell *shell = arg;
    put_response(arg, body, NULL, 0, true, shell->verbosity);
}

static void
on_cancel(void *arg)
{
    struct shell *shell = arg;
    shell->canceled = true;
    (void)fputs("Cancel request sent\n", stderr);
}

/* What PGPASSFILE or ~/.pgpass has for this connection; NULL: nothing. A file that is of no use is
 * told, and we go on without it, as libpq does. */
static char *
password_of_file(struct shell *shell)
{
    const struct connection *connection = &shell->connection;
    const char *path = getenv("PGPASSFILE"), *home = getenv("HOME");
    char usual[CONNECTION_FILE_MAX], port[sizeof "65535"];
    if (path == NULL || path[0] == '\0') {
        (void)snprintf(usual, sizeof usual, "%s/.pgpass", home == NULL ? "" : home);
        path = usual;
    }
    if (!world_file_exists(shell->task, path)) {
        return NULL;
    }
    (void)snprintf(port, sizeof port, "%u", connection->port);
    const char *const target[] = {connection->host, port, connection->database, connection->user};
    char *password = NULL;
    struct diag diag;
    diag_clear(&diag);
    if (login_passfile_find(shell->task, path, target, &password, &diag) != ERR_OK) {
        (void)fprintf(stderr, "WARNING: %s\n", diag.message);
        if (diag.hint[0] != '\0') {
            (void)fprintf(stderr, "HINT: %s\n", diag.hint);
        }
    }
    return password;
}

static char *
ask_password(void *arg)
{
    const char *given = getenv("PGPASSWORD");
    char *password = given != NULL ? mem_strdup(given) : password_of_file(arg);
    return password != NULL ? password : input_password("Password: ");
}

/* ---- connection ------------------------------------------------------------------------------ */

bool
shell_connect(struct shell *shell)
{
    struct connection *connection = &shell->connection;
    connection->task = shell->task;
    connection->on_notice = on_notice;
    connection->on_cancel = on_cancel;
    connection->ask_password = ask_password;
    connection->arg = shell;
    struct diag diag;
    diag_clear(&diag);
    if (connection_open(connection, &diag) == ERR_OK) {
        variables_of_connection(shell);
        return true;
    }
    shell_error(shell, "connection to server at \"%s\", port %u failed: %s", connection->host,
        connection->port, diag.message);
    return false;
}

/* The server went away in the middle of something. */
static void
connection_lost(struct shell *shell, const struct diag *diag)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s\n", diag->message);
    if (shell->source != NULL && shell->source->interactive) {
        (void)fputs("The connection to the server was lost. Attempting reset: ", stderr);
        struct diag why;
        diag_clear(&why);
        if (connection_open(&shell->connection, &why) == ERR_OK) {
            (void)fputs("Succeeded.\n", stderr);
        } else {
            (void)fputs("Failed.\n", stderr);
        }
        return;
    }
    shell_error(shell, "connection to server was lost");
    shell->lost = true;
}

/* ---- results --------------------------------------------------------------------------------- */

static bool
is_number(uint32_t type)
{
    static const uint32_t numbers[] = {
        20 /* int8 */, 21, 23, 26 /* oid */, 28, 29, 700, 701, 790, 1700, 5069};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (type == numbers[i]) {
            return true;
        }
    }
    return false;
}

static void
take_description(struct print_table *table, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    table->column_count = wire_get_u16(&reader);
    table->columns = arena_array(table->arena, table->column_count + 1, sizeof *table->columns);
    for (size_t i = 0; i < table->column_count; i++) {
        table->columns[i].name = arena_strdup(table->arena, wire_get_text(&reader));
        (void)wire_get_bytes(&reader, 6);
        table->columns[i].right = is_number(wire_get_u32(&reader));
        (void)wire_get_bytes(&reader, 8);
    }
}

static void
take_row(struct print_table *table, struct slice body)
{
    struct wire_reader reader = wire_reader_of(body);
    size_t count = wire_get_u16(&reader);
    for (size_t i = 0; i < table->column_count; i++) {
        uint32_t size = i < count ? wire_get_u32(&reader) : UINT32_MAX;
        struct slice cell = {0};
        if (size != UINT32_MAX) {
            struct slice bytes = wire_get_bytes(&reader, size);
            if (reader.failed || bytes.size == 0) {
                cell = slice_of("", 0);
            } else {
                cell = slice_of(arena_copy(table->arena, bytes.data, bytes.size), bytes.size);
            }
        }
        print_add_cell(table, cell);
    }
    table->row_count++;
}

/* The state of one query text on its way. */
struct run {
    struct shell *shell;
    const char *text;
    size_t size;
    struct arena arena;
    struct print_table table;
    bool has_table;
    bool copied_out;
    bool failed;
    bool silent;
    struct progress copied; /* of data that goes to a file */
    struct watch *watch;    /* or NULL */
};

static void
table_begin(struct run *run)
{
    arena_reset(&run->arena);
    run->table = (struct print_table){.arena = &run->arena};
    run->has_table = false;
    run->copied_out = false;
}

static bool
starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* A table that outlives its statement. */
static void
keep_table(struct arena *arena, struct print_table *to, const struct print_table *from)
{
    *to = (struct print_table){.arena = arena, .column_count = from->column_count};
    to->columns = arena_array(arena, to->column_count + 1, sizeof *to->columns);
    for (size_t i = 0; i < to->column_count; i++) {
        to->columns[i].name = arena_strdup(arena, from->columns[i].name);
        to->columns[i].right = from->columns[i].right;
    }
    for (size_t i = 0; i < from->cell_count; i++) {
        struct slice cell = from->cells[i];
        print_add_text(to,
            cell.data == NULL ? NULL : arena_strndup(arena, (const char *)cell.data, cell.size));
    }
    to->row_count = from->row_count;
}

static void
show_table(struct shell *shell, struct print_table *table)
{
    table->title = shell->title;
    unsigned rows;
    output_screen(&rows, &shell->print.screen_columns);
    FILE *pager = output_page(shell, print_line_count(table, &shell->print));
    print_table(pager != NULL ? pager : shell->output.file, table, &shell->print);
    if (pager != NULL) {
        output_page_end(pager);
    }
}

/* The number at the tag's end. */
static size_t
rows_of_tag(const char *tag)
{
    const char *last = strrchr(tag, ' ');
    return last == NULL ? 0 : strtoul(last + 1, NULL, 10);
}

static void
statement_end(struct run *run, struct slice body)
{
    struct shell *shell = run->shell;
    struct wire_reader reader = wire_reader_of(body);
    const char *tag = wire_get_text(&reader);
    bool gathered = run->has_table && shell->gather;
    if (gathered) {
        keep_table(shell->gather_arena, &shell->gathered, &run->table);
    } else if (run->has_table) {
        show_table(shell, &run->table);
    }
    bool changes = starts_with(tag, "INSERT") || starts_with(tag, "UPDATE") ||
                   starts_with(tag, "DELETE") || starts_with(tag, "MERGE");
    if (!shell->quiet && !gathered && !run->copied_out && (!run->has_table || changes)) {
        (void)fprintf(shell->output.file, "%s\n", tag);
    }
    (void)fflush(shell->output.file);
    variables_of_result(shell, NULL, NULL, rows_of_tag(tag));
    table_begin(run);
}

static void
statement_failed(struct run *run, struct slice body)
{
    struct shell *shell = run->shell;
    table_begin(run);
    put_response(shell, body, run->text, run->size, false, shell->verbosity);
    if (shell->echo == ECHO_ERRORS) {
        (void)fprintf(stderr, "STATEMENT:  %.*s\n", (int)run->size, run->text);
    }
    shell->last_error.size = 0;
    buffer_add(&shell->last_error, body.data, body.size);
    variables_of_result(shell, wire_error_field(body, 'C'), wire_error_field(body, 'M'), 0);
}

static enum err
send_copy_chunk(struct shell *shell, struct buffer *data, struct diag *diag)
{
    struct buffer *out = &shell->connection.out;
    size_t start = wire_begin(out, 'd');
    buffer_add(out, data->data, data->size);
    wire_end(out, start);
    data->size = 0;
    return connection_flush(&shell->connection, diag);
}

static enum err
end_copy(struct shell *shell, const char *failure, struct diag *diag)
{
    struct buffer *out = &shell->connection.out;
    size_t start = wire_begin(out, failure != NULL ? 'f' : 'c');
    if (failure != NULL) {
        wire_put_text(out, failure);
    }
    wire_end(out, start);
    return connection_flush(&shell->connection, diag);
}

/* \copy: a file as it is; the server knows where it ends. */
static enum err
send_copy_file(struct shell *shell, struct diag *diag)
{
    struct buffer data = {0};
    struct progress progress;
    enum err err = ERR_OK;
    progress_start(&progress, shell);
    for (;;) {
        data.size =
            fread(buffer_reserve(&data, COPY_CHUNK_SIZE), 1, COPY_CHUNK_SIZE, shell->copy_file);
        if (data.size == 0 || shell_interrupted || err != ERR_OK) {
            break;
        }
        progress_add(&progress, shell, data.size);
        err = send_copy_chunk(shell, &data, diag);
    }
    progress_end(&progress);
    buffer_destroy(&data);
    const char *failure = shell_interrupted          ? "canceled by user"
                          : ferror(shell->copy_file) ? "could not read the file"
                                                     : NULL;
    shell_interrupted = 0; /* it ended the data; there is nothing else to cancel */
    return err != ERR_OK ? err : end_copy(shell, failure, diag);
}

/* Lines of the source, up to \. or the end. */
static enum err
send_copy(struct shell *shell, struct diag *diag)
{
    if (shell->copy_file != NULL) {
        return send_copy_file(shell, diag);
    }
    struct source standard = {.file = stdin, .outer = shell->source};
    struct source *from = shell->source != NULL ? shell->source : &standard;
    struct source *saved = shell->source;
    shell->source = from;
    const char *prompt = from->interactive ? ">> " : "";
    if (from->interactive) {
        (void)puts("Enter data to be copied followed by a newline.\n"
                   "End with a backslash and a period on a line by itself, or an EOF signal.");
        (void)fflush(stdout);
    }
    struct buffer data = {0};
    enum err err = ERR_OK;
    bool failed = false;
    shell->copying = true;
    while (err == ERR_OK) {
        char *line = input_line(shell, prompt);
        if (line == NULL) {
            failed = shell_interrupted != 0;
            break;
        }
        bool end = strcmp(line, "\\.") == 0;
        if (!end) {
            buffer_add(&data, line, strlen(line));
            buffer_add_u8(&data, '\n');
        }
        mem_free(line);
        if (end) {
            break;
        }
        if (data.size >= COPY_CHUNK_SIZE) {
            err = send_copy_chunk(shell, &data, diag);
        }
    }
    if (err == ERR_OK && data.size > 0 && !failed) {
        err = send_copy_chunk(shell, &data, diag);
    }
    buffer_destroy(&data);
    shell->source = saved;
    shell->copying = false;
    shell_interrupted = 0; /* it ended the data; there is nothing else to cancel */
    return err != ERR_OK ? err : end_copy(shell, failed ? "canceled by user" : NULL, diag);
}

/* Take one message; *done at the end of all. */
static enum err
run_message(struct run *run, const struct message *message, bool *done, struct diag *diag)
{
    watch_message(run->watch);
    switch (message->type) {
    case 'T':
        table_begin(run);
        take_description(&run->table, message->body);
        run->has_table = true;
        break;
    case 'D':
        take_row(&run->table, message->body);
        break;
    case 'C':
        progress_end(&run->copied);
        if (!run->silent) {
            statement_end(run, message->body);
        }
        break;
    case 'E':
        run->failed = true;
        progress_end(&run->copied);
        if (!run->silent) {
            statement_failed(run, message->body);
        }
        break;
    case 'G':
        return send_copy(run->shell, diag);
    case 'H':
        run->copied_out = run->shell->copy_file == NULL; /* its tag would be taken for a row */
        if (!run->copied_out) {
            progress_start(&run->copied, run->shell);
        }
        break;
    case 'd':
        if (!run->copied_out) {
            progress_add(&run->copied, run->shell, message->body.size);
        }
        (void)fwrite(message->body.data, 1, message->body.size,
            run->shell->copy_file != NULL ? run->shell->copy_file : run->shell->output.file);
        break;
    case 'Z':
        *done = true;
        break;
    default:
        break; /* I: an empty query; c: copying out ends */
    }
    return ERR_OK;
}

static enum err
run_all(struct run *run, struct diag *diag)
{
    struct connection *connection = &run->shell->connection;
    TRY(connection_query(connection, run->text, run->size, diag));
    bool done = false;
    while (!done) {
        struct message message;
        TRY(connection_next(connection, &message, diag));
        TRY(run_message(run, &message, &done, diag));
    }
    return ERR_OK;
}

static void
run_create(struct run *run, struct shell *shell, const char *text, size_t size)
{
    *run = (struct run){.shell = shell, .text = text, .size = size};
    arena_create(&run->arena, "result");
    table_begin(run);
}

static bool
run_query(struct run *run)
{
    struct shell *shell = run->shell;
    struct diag *diag = mem_zalloc(sizeof *diag);
    shell->canceled = false;
    shell_interrupted = 0;
    shell->running = true;
    run->watch = run->silent ? NULL : watch_start(shell, run->text, run->size);
    enum err err = run_all(run, diag);
    watch_end(run->watch);
    shell->running = false;
    if (err != ERR_OK) {
        run->failed = true;
        connection_lost(shell, diag);
    }
    mem_free(diag);
    return !run->failed;
}

static void
put_time(int64_t time_us)
{
    double ms = (double)time_us / 1000;
    if (time_us < 1000000) {
        (void)printf("Time: %.3f ms\n", ms);
        return;
    }
    int64_t s = time_us / 1000000;
    double rest = (double)(time_us - s / 60 * 60000000) / 1000000;
    if (s < 3600) {
        (void)printf("Time: %.3f ms (%02" PRId64 ":%06.3f)\n", ms, s / 60, rest);
    } else {
        (void)printf("Time: %.3f ms (%02" PRId64 ":%02" PRId64 ":%06.3f)\n", ms, s / 3600,
            s / 60 % 60, rest);
    }
}

bool
shell_execute(struct shell *shell, const char *text, size_t size)
{
    int64_t start_us = world_clock_us(shell->world);
    if (shell->echo == ECHO_QUERIES) {
        (void)printf("%.*s\n", (int)size, text);
    }
    struct run *run = mem_alloc(sizeof *run);
    run_create(run, shell, text, size);
    bool ok = run_query(run);
    arena_destroy(&run->arena);
    mem_free(run);
    if (shell->timing && !shell->lost) {
        put_time(world_clock_us(shell->world) - start_us);
    }
    (void)fflush(stdout);
    return ok;
}

bool
shell_fetch(struct shell *shell, const char *text, struct arena *arena, struct print_table *table,
    bool silent)
{
    struct run *run = mem_alloc(sizeof *run);
    run_create(run, shell, text, strlen(text));
    run->silent = true;
    bool ok = run_query(run);
    if (!ok && !silent &&
        wire_error_field(slice_of(shell->connection.failure.data, shell->connection.failure.size),
            'M')[0] != '\0') {
        put_response(shell,
            slice_of(shell->connection.failure.data, shell->connection.failure.size), text,
            strlen(text), false, shell->verbosity);
    }
    if (ok) {
        keep_table(arena, table, &run->table);
    }
    arena_destroy(&run->arena);
    mem_free(run);
    return ok;
}
