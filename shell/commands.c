/* shell/commands.c - the commands that begin with a backslash. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <readline/history.h>

#include "base/mem.h"
#include "shell/shell.h"

enum {
    ARGUMENTS_MAX = 64,
    WATCH_SECONDS_MAX = 86400 * 365,
};

/* ---- arguments ------------------------------------------------------------------------------- */

/* A command on its line: its name and where its arguments are. */
struct command {
    struct shell *shell;
    const char *line;
    size_t size;
    size_t at;
    struct arena *arena;
    const char *name;
};

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* '...' or "..." from command->at on, into word. Double quotes stay: they mean something to
 * names. */
static void
take_quoted(struct command *command, struct buffer *word)
{
    const char *line = command->line;
    size_t size = command->size;
    size_t at = command->at;
    char quote = line[at];
    if (quote == '"') {
        buffer_add_u8(word, '"');
    }
    for (at++; at < size; at++) {
        if (line[at] == quote) {
            if (at + 1 < size && line[at + 1] == quote) {
                at++;
            } else {
                break;
            }
        } else if (quote == '\'' && line[at] == '\\' && at + 1 < size) {
            at++;
            const char *escape = strchr("n\nt\tr\rb\bf\f", line[at]);
            buffer_add_u8(word, (uint8_t)(escape != NULL ? escape[1] : line[at]));
            continue;
        }
        buffer_add_u8(word, (uint8_t)line[at]);
    }
    if (quote == '"') {
        buffer_add_u8(word, '"');
    }
    command->at = at + (at < size);
}

/* The next argument, or NULL. Variables are put in; a backslash ends the command. */
static const char *
next_argument(struct command *command)
{
    const char *line = command->line;
    size_t size = command->size;
    while (command->at < size && is_space(line[command->at])) {
        command->at++;
    }
    if (command->at == size || line[command->at] == '\\') {
        return NULL;
    }
    struct buffer word = {0};
    while (command->at < size && !is_space(line[command->at]) && line[command->at] != '\\') {
        char c = line[command->at];
        size_t taken =
            variable_reference(command->shell, line + command->at, size - command->at, &word);
        if (taken > 0) {
            command->at += taken;
        } else if (c == '\'' || c == '"') {
            take_quoted(command, &word);
        } else {
            buffer_add_u8(&word, (uint8_t)c);
            command->at++;
        }
    }
    const char *argument = arena_strndup(command->arena, (const char *)word.data, word.size);
    buffer_destroy(&word);
    return argument;
}

/* All that is left of the line, as it stands; NULL if that is nothing. */
static const char *
rest_of_line(struct command *command)
{
    size_t at = command->at;
    size_t end = command->size;
    command->at = end;
    while (at < end && is_space(command->line[at])) {
        at++;
    }
    while (end > at && is_space(command->line[end - 1])) {
        end--;
    }
    return at == end ? NULL : arena_strndup(command->arena, command->line + at, end - at);
}

/* Without the semicolons that habit puts behind. */
static const char *
next_name(struct command *command)
{
    const char *word = next_argument(command);
    if (word == NULL) {
        return NULL;
    }
    size_t length = strlen(word);
    while (length > 0 && word[length - 1] == ';') {
        length--;
    }
    return length == 0 ? NULL : arena_strndup(command->arena, word, length);
}

static const char *
required_argument(struct command *command)
{
    const char *word = next_argument(command);
    if (word == NULL) {
        shell_error(command->shell, "\\%s: missing required argument", command->name);
    }
    return word;
}

static __attribute__((format(printf, 2, 3))) void
say(const struct shell *shell, const char *fmt, ...)
{
    if (!shell->quiet) {
        va_list args;
        va_start(args, fmt);
        (void)vprintf(fmt, args);
        va_end(args);
        (void)fputc('\n', stdout);
    }
}

/* ---- how results look ------------------------------------------------------------------------ */

static bool
run_switch(struct command *command, bool *which, const char *label)
{
    const char *value = next_argument(command);
    if (value == NULL) {
        *which = !*which;
    } else if (!shell_parse_switch(command->shell,
                   arena_printf(command->arena, "\\%s", command->name), value, which)) {
        return false;
    }
    say(command->shell, "%s is %s.", label, *which ? "on" : "off");
    return true;
}

static bool
run_expanded(struct command *command)
{
    struct shell *shell = command->shell;
    const char *value = next_argument(command);
    bool on = shell->print.expanded == PRINT_EXPANDED_OFF;
    if (value != NULL && strcmp(value, "auto") == 0) {
        shell->print.expanded = PRINT_EXPANDED_AUTO;
        say(shell, "Expanded display is used automatically.");
        return true;
    }
    if (value != NULL && !shell_parse_switch(shell,
                             arena_printf(command->arena, "\\%s", command->name), value, &on)) {
        return false;
    }
    shell->print.expanded = on ? PRINT_EXPANDED_ON : PRINT_EXPANDED_OFF;
    say(shell, "Expanded display is %s.", on ? "on" : "off");
    return true;
}

static bool
run_tuples_only(struct command *command)
{
    return run_switch(command, &command->shell->print.tuples_only, "Tuples only");
}

static bool
run_timing(struct command *command)
{
    return run_switch(command, &command->shell->timing, "Timing");
}

static const char *const formats[] = {"aligned", "unaligned", "csv"};

static bool
set_format(struct shell *shell, enum print_format format)
{
    shell->print.format = format;
    say(shell, "Output format is %s.", formats[format]);
    return true;
}

static bool
run_align(struct command *command)
{
    struct shell *shell = command->shell;
    return set_format(
        shell, shell->print.format == PRINT_ALIGNED ? PRINT_UNALIGNED : PRINT_ALIGNED);
}

static void
show_settings(const struct shell *shell)
{
    static const char *const expanded[] = {"off", "on", "auto"};
    (void)printf("expanded    %s\nfieldsep    '%s'\nformat      %s\nnull        '%s'\n"
                 "pager       %s\ntuples_only %s\n",
        expanded[shell->print.expanded], shell->separator, formats[shell->print.format],
        shell->null_text, shell->pager ? "on" : "off", shell->print.tuples_only ? "on" : "off");
}

static bool
run_pset(struct command *command)
{
    struct shell *shell = command->shell;
    const char *name = next_argument(command);
    if (name == NULL) {
        show_settings(shell);
        return true;
    }
    if (strcmp(name, "expanded") == 0 || strcmp(name, "x") == 0) {
        return run_expanded(command);
    }
    if (strcmp(name, "tuples_only") == 0 || strcmp(name, "t") == 0) {
        return run_tuples_only(command);
    }
    if (strcmp(name, "pager") == 0) {
        return run_switch(command, &shell->pager, "Pager usage");
    }
    const char *value = next_argument(command);
    if (strcmp(name, "null") == 0) {
        (void)snprintf(shell->null_text, sizeof shell->null_text, "%s", value == NULL ? "" : value);
        say(shell, "Null display is \"%s\".", shell->null_text);
        return true;
    }
    if (strcmp(name, "fieldsep") == 0 && value != NULL) {
        (void)snprintf(shell->separator, sizeof shell->separator, "%s", value);
        say(shell, "Field separator is \"%s\".", shell->separator);
        return true;
    }
    for (int i = 0; i < 3 && strcmp(name, "format") == 0 && value != NULL; i++) {
        if (strcmp(value, formats[i]) == 0) {
            return set_format(shell, (enum print_format)i);
        }
    }
    if (strcmp(name, "format") == 0) {
        shell_error(shell, "\\pset: allowed formats are aligned, csv, unaligned");
    } else {
        shell_error(shell, "\\pset: unknown option: %s", name);
    }
    return false;
}

/* ---- variables ------------------------------------------------------------------------------- */

static bool
run_set(struct command *command)
{
    const char *name = next_argument(command);
    if (name == NULL) {
        variables_list(command->shell, stdout);
        return true;
    }
    struct buffer value = {0};
    const char *word = next_argument(command);
    bool none = word == NULL;
    for (; word != NULL; word = next_argument(command)) {
        buffer_add_text(&value, word);
    }
    /* A switch without a value is turned on. */
    bool is_switch = strcmp(name, "QUIET") == 0 || strcmp(name, "ON_ERROR_STOP") == 0;
    buffer_add_text(&value, none && is_switch ? "on" : "");
    buffer_add_u8(&value, 0);
    bool ok = variable_set(command->shell, name, (const char *)value.data);
    buffer_destroy(&value);
    return ok;
}

static bool
run_unset(struct command *command)
{
    const char *name = required_argument(command);
    return name != NULL && variable_set(command->shell, name, NULL);
}

static bool
run_prompt(struct command *command)
{
    struct shell *shell = command->shell;
    const char *text = required_argument(command);
    if (text == NULL) {
        return false;
    }
    const char *name = next_argument(command);
    if (name == NULL) {
        name = text;
        text = "";
    }
    (void)fputs(text, stdout);
    (void)fflush(stdout);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size = getline(&line, &capacity, stdin);
    bool ok = size >= 0;
    if (ok) {
        line[strcspn(line, "\n")] = '\0';
        ok = variable_set(shell, name, line);
    } else {
        shell_error(shell, "could not read value for variable");
    }
    mem_free(line);
    return ok;
}

static bool
run_getenv(struct command *command)
{
    const char *name = required_argument(command);
    const char *from = name == NULL ? NULL : required_argument(command);
    const char *value = from == NULL ? NULL : getenv(from);
    return from != NULL && (value == NULL || variable_set(command->shell, name, value));
}

static bool
run_setenv(struct command *command)
{
    const char *name = required_argument(command);
    const char *value = name == NULL ? NULL : next_argument(command);
    if (name == NULL) {
        return false;
    }
    if (name[0] == '\0' || strchr(name, '=') != NULL) {
        shell_error(command->shell, "\\setenv: environment variable name must not contain \"=\"");
        return false;
    }
    return (value == NULL ? unsetenv(name) : setenv(name, value, 1)) == 0;
}

/* ---- \if ------------------------------------------------------------------------------------- */

static bool
condition_argument(struct command *command)
{
    const char *text = rest_of_line(command);
    bool on = false;
    if (text == NULL) {
        shell_error(command->shell, "\\%s: missing required argument", command->name);
        return false;
    }
    struct command words = *command;
    words.line = text;
    words.size = strlen(text);
    words.at = 0;
    const char *word = next_argument(&words);
    char name[32];
    (void)snprintf(name, sizeof name, "\\%s expression", command->name);
    return word != NULL && shell_parse_switch(command->shell, name, word, &on) && on;
}

static bool
run_if(struct command *command)
{
    struct shell *shell = command->shell;
    if (shell->condition_count == CONDITION_DEPTH_MAX) {
        shell_error(shell, "\\if: nested too deeply");
        return false;
    }
    bool runs = shell_is_active(shell);
    struct condition *condition = &shell->conditions[shell->condition_count];
    *condition = (struct condition){.taken = !runs};
    if (runs) {
        condition->active = condition->taken = condition_argument(command);
    } else {
        (void)rest_of_line(command);
    }
    shell->condition_count++;
    return true;
}

static struct condition *
innermost(struct command *command)
{
    struct shell *shell = command->shell;
    unsigned outer = shell->source == NULL ? 0 : shell->source->outer_conditions;
    if (shell->condition_count == outer) {
        shell_error(shell, "\\%s: no matching \\if", command->name);
        return NULL;
    }
    return &shell->conditions[shell->condition_count - 1];
}

static bool
run_elif(struct command *command)
{
    struct condition *condition = innermost(command);
    if (condition == NULL) {
        return false;
    }
    if (condition->other) {
        shell_error(command->shell, "\\elif: cannot occur after \\else");
        return false;
    }
    condition->active = false;
    if (condition->taken) {
        (void)rest_of_line(command);
    } else {
        condition->active = condition->taken = condition_argument(command);
    }
    return true;
}

static bool
run_else(struct command *command)
{
    struct condition *condition = innermost(command);
    if (condition == NULL) {
        return false;
    }
    if (condition->other) {
        shell_error(command->shell, "\\else: cannot occur after \\else");
        return false;
    }
    condition->active = !condition->taken;
    condition->taken = condition->other = true;
    return true;
}

static bool
run_endif(struct command *command)
{
    bool ok = innermost(command) != NULL;
    command->shell->condition_count -= ok;
    return ok;
}

/* ---- the statement buffer -------------------------------------------------------------------- */

static struct buffer *
current_query(struct shell *shell)
{
    return shell->query.size > 0 ? &shell->query : &shell->previous;
}

static bool
with_output(struct shell *shell, const char *where, bool (*run)(struct shell *shell))
{
    struct output saved;
    if (where == NULL) {
        return run(shell);
    }
    if (!output_open(shell, where, &saved)) {
        return false;
    }
    bool ok = run(shell);
    ok = output_close(shell, &shell->output) && ok;
    shell->output = saved;
    return ok;
}

/* For \g and \o: FILE, or |COMMAND to the line's end. */
static const char *
output_argument(struct command *command)
{
    size_t at = command->at;
    while (at < command->size && is_space(command->line[at])) {
        at++;
    }
    bool program = at < command->size && command->line[at] == '|';
    return program ? rest_of_line(command) : next_argument(command);
}

static bool
run_g(struct command *command)
{
    return with_output(command->shell, output_argument(command), shell_run_buffer);
}

static bool
run_gx(struct command *command)
{
    struct shell *shell = command->shell;
    enum print_expanded saved = shell->print.expanded;
    shell->print.expanded = PRINT_EXPANDED_ON;
    bool ok = with_output(shell, output_argument(command), shell_run_buffer);
    shell->print.expanded = saved;
    return ok;
}

/* Run the buffer; its last table is in shell->gathered, in the command's arena. */
static bool
gather(struct command *command)
{
    struct shell *shell = command->shell;
    shell->gathered = (struct print_table){.arena = command->arena};
    shell->gather_arena = command->arena;
    shell->gather = true;
    bool ok = shell_run_buffer(shell);
    shell->gather = false;
    return ok;
}

static bool
run_gset(struct command *command)
{
    struct shell *shell = command->shell;
    const char *prefix = next_argument(command);
    if (current_query(shell)->size == 0) {
        return true;
    }
    if (!gather(command)) {
        return false;
    }
    const struct print_table *table = &shell->gathered;
    if (table->row_count != 1) {
        shell_error(shell, table->row_count == 0 ? "no rows returned for \\gset"
                                                 : "more than one row returned for \\gset");
        return false;
    }
    for (size_t i = 0; i < table->column_count; i++) {
        const char *name = arena_printf(
            command->arena, "%s%s", prefix == NULL ? "" : prefix, table->columns[i].name);
        /* Cells of a gathered table end with a NUL. */
        const char *value = (const char *)table->cells[i].data;
        if (!variable_set(shell, name, value)) {
            return false;
        }
    }
    return true;
}

static bool
run_gexec(struct command *command)
{
    struct shell *shell = command->shell;
    if (!gather(command)) {
        return false;
    }
    const struct print_table table = shell->gathered;
    bool ok = true;
    for (size_t i = 0; i < table.cell_count && (ok || !shell->stop_on_error); i++) {
        const char *text = (const char *)table.cells[i].data;
        if (text != NULL) {
            ok = shell_execute(shell, text, strlen(text)) && ok;
        }
    }
    return ok;
}

/* Sleep until Ctrl-C (false) or the time is over. */
static bool
watch_sleep(struct shell *shell, int64_t time_us)
{
    enum {
        STEP_US = 50000
    };
    int64_t end = world_clock_us(shell->world) + time_us;
    while (!shell_interrupted && world_clock_us(shell->world) < end) {
        int64_t step = world_clock_us(shell->world) + STEP_US;
        task_park(shell->task, step < end ? step : end);
    }
    return !shell_interrupted;
}

static bool
run_watch(struct command *command)
{
    struct shell *shell = command->shell;
    const char *word = next_argument(command);
    char *end = NULL;
    double seconds = word == NULL ? 2 : strtod(word, &end);
    if (word != NULL && (*end != '\0' || !(seconds >= 0) || seconds > WATCH_SECONDS_MAX)) {
        shell_error(shell, "\\watch: incorrect interval value \"%s\"", word);
        return false;
    }
    const struct buffer *query = current_query(shell);
    if (query->size == 0) {
        shell_error(shell, "\\watch cannot be used with an empty query");
        return false;
    }
    bool pager = shell->pager;
    shell->pager = false;
    bool ok = true;
    shell_interrupted = 0;
    do {
        time_t now = (time_t)(world_wall_us(shell->world) / 1000000);
        struct tm parts;
        char clock[64];
        char title[128];
        (void)localtime_r(&now, &parts);
        (void)strftime(clock, sizeof clock, "%a %d %b %Y %I:%M:%S %p %Z", &parts);
        (void)snprintf(title, sizeof title, "%s (every %gs)\n", clock, seconds);
        shell->title = title;
        ok = shell_run_buffer(shell);
        shell->title = NULL;
    } while (ok && !shell->canceled && watch_sleep(shell, (int64_t)(seconds * 1e6)));
    shell->pager = pager;
    shell_interrupted = 0;
    return ok;
}

static bool
run_print(struct command *command)
{
    const struct buffer *query = current_query(command->shell);
    if (query->size == 0) {
        say(command->shell, "Query buffer is empty.");
    } else {
        (void)printf("%.*s\n", (int)query->size, (const char *)query->data);
    }
    return true;
}

static bool
run_reset(struct command *command)
{
    struct shell *shell = command->shell;
    shell->query.size = 0;
    scan_reset(&shell->scanner);
    say(shell, "Query buffer reset (cleared).");
    return true;
}

static bool
run_write(struct command *command)
{
    struct shell *shell = command->shell;
    const char *path = required_argument(command);
    struct output saved;
    if (path == NULL || !output_open(shell, path, &saved)) {
        return false;
    }
    const struct buffer *query = current_query(shell);
    (void)fprintf(shell->output.file, "%.*s\n", (int)query->size, (const char *)query->data);
    bool ok = output_close(shell, &shell->output);
    shell->output = saved;
    return ok;
}

/* What the editor leaves is scanned as if it were typed: whole statements run. */
static bool
run_edit(struct command *command)
{
    struct shell *shell = command->shell;
    const char *path = next_argument(command);
    struct buffer text = {0};
    const struct buffer *query = current_query(shell);
    buffer_add(&text, query->data, query->size);
    bool ok = output_edit(shell, path, &text);
    if (ok) {
        shell->query.size = 0;
        scan_reset(&shell->scanner);
        (void)fwrite(text.data, 1, text.size, stdout);
        ok = shell_run_text(shell, (const char *)text.data, text.size);
    }
    buffer_destroy(&text);
    return ok;
}

/* ---- files and programs ---------------------------------------------------------------------- */

static bool
run_output(struct command *command)
{
    struct shell *shell = command->shell;
    struct output old;
    const char *where = output_argument(command);
    if (!output_open(shell, where, &old)) {
        return false;
    }
    return output_close(shell, &old);
}

static bool
run_include(struct command *command)
{
    struct shell *shell = command->shell;
    const char *path = required_argument(command);
    if (path == NULL) {
        return false;
    }
    bool beside =
        strcmp(command->name, "ir") == 0 || strcmp(command->name, "include_relative") == 0;
    const char *own = shell->source == NULL ? NULL : shell->source->name;
    const char *slash = own == NULL ? NULL : strrchr(own, '/');
    if (beside && path[0] != '/' && slash != NULL) {
        path = arena_printf(command->arena, "%.*s/%s", (int)(slash - own), own, path);
    }
    return shell_run_file(shell, path) == EXIT_FINE;
}

static bool
run_copy(struct command *command)
{
    size_t from = command->at;
    command->at = command->size;
    return shell_copy(command->shell, command->line + from, command->size - from);
}

static bool
run_shell(struct command *command)
{
    return output_run(command->shell, rest_of_line(command));
}

static bool
run_cd(struct command *command)
{
    const char *path = next_argument(command);
    path = path == NULL ? getenv("HOME") : path;
    if (path == NULL || chdir(path) != 0) {
        shell_error(command->shell, "\\cd: could not change directory to \"%s\": %s",
            path == NULL ? "" : path, strerror(path == NULL ? ENOENT : errno));
        return false;
    }
    return true;
}

static bool
run_echo_to(struct command *command, FILE *to)
{
    const char *separator = "";
    const char *word = next_argument(command);
    bool newline = word == NULL || strcmp(word, "-n") != 0;
    word = newline ? word : next_argument(command);
    for (; word != NULL; word = next_argument(command)) {
        (void)fprintf(to, "%s%s", separator, word);
        separator = " ";
    }
    (void)fputs(newline ? "\n" : "", to);
    (void)fflush(to);
    return true;
}

static bool
run_echo(struct command *command)
{
    return run_echo_to(command, stdout);
}

static bool
run_qecho(struct command *command)
{
    return run_echo_to(command, command->shell->output.file);
}

static bool
run_warn(struct command *command)
{
    return run_echo_to(command, stderr);
}

static bool
run_history(struct command *command)
{
    struct shell *shell = command->shell;
    const char *path = next_argument(command);
    FILE *to = path == NULL ? stdout : fopen(path, "w");
    if (to == NULL) {
        shell_error(shell, "%s: %s", path, strerror(errno));
        return false;
    }
    HIST_ENTRY **entries = history_list();
    for (size_t i = 0; entries != NULL && entries[i] != NULL; i++) {
        (void)fprintf(to, "%s\n", entries[i]->line);
    }
    return to == stdout || fclose(to) == 0;
}

/* ---- the connection -------------------------------------------------------------------------- */

static bool
run_connect(struct command *command)
{
    struct shell *shell = command->shell;
    struct connection *connection = &shell->connection;
    char *const targets[] = {connection->database, connection->user, connection->host};
    char saved[3][CONNECTION_NAME_MAX];
    uint16_t saved_port = connection->port;
    for (int i = 0; i < 3; i++) {
        memcpy(saved[i], targets[i], sizeof saved[i]);
        const char *word = next_argument(command);
        if (word != NULL && strcmp(word, "-") != 0) {
            (void)snprintf(targets[i], CONNECTION_NAME_MAX, "%s", word);
        }
    }
    const char *port = next_argument(command);
    bool ok = true;
    if (port != NULL && strcmp(port, "-") != 0) {
        char *end;
        unsigned long number = strtoul(port, &end, 10);
        ok = *end == '\0' && number > 0 && number <= UINT16_MAX;
        if (!ok) {
            shell_error(shell, "invalid port number: \"%s\"", port);
        }
        connection->port = (uint16_t)number;
    }
    struct diag diag;
    diag_clear(&diag);
    if (ok) {
        connection_close(connection);
        ok = connection_open(connection, &diag) == ERR_OK;
    }
    if (ok) {
        variables_of_connection(shell);
        say(shell, "You are now connected to database \"%s\" as user \"%s\".", connection->database,
            connection->user);
        return true;
    }
    if (diag.message[0] != '\0') {
        shell_error(shell, "connection to server at \"%s\", port %u failed: %s", connection->host,
            connection->port, diag.message);
    }
    for (int i = 0; i < 3; i++) {
        memcpy(targets[i], saved[i], sizeof saved[i]);
    }
    connection->port = saved_port;
    if (connection->socket == NULL && connection_open(connection, &diag) == ERR_OK) {
        say(shell, "Previous connection kept");
    } else if (connection->socket == NULL) {
        shell_error(shell, "connection to server was lost");
        shell->lost = shell->source == NULL || !shell->source->interactive;
    }
    return false;
}

static bool
run_conninfo(struct command *command)
{
    const struct connection *connection = &command->shell->connection;
    if (connection->socket == NULL) {
        (void)puts("You are currently not connected to a database.");
    } else {
        (void)printf("You are connected to database \"%s\" as user \"%s\" on host \"%s\" at "
                     "port \"%u\".\n",
            connection->database, connection->user, connection->host, connection->port);
        struct world_tls_info tls;
        if (world_tls_info(connection->socket, &tls)) {
            (void)printf("SSL connection (protocol: %s, cipher: %s, compression: off)\n",
                tls.version, tls.cipher);
        }
    }
    return true;
}

static bool
run_encoding(struct command *command)
{
    const char *name = next_argument(command);
    if (name == NULL) {
        (void)puts("UTF8");
        return true;
    }
    bool ok = strcasecmp(name, "utf8") == 0 || strcasecmp(name, "utf-8") == 0 ||
              strcasecmp(name, "unicode") == 0;
    if (!ok) {
        shell_error(
            command->shell, "%s: invalid encoding name or conversion procedure not found", name);
    }
    return ok;
}

static bool
run_quit(struct command *command)
{
    command->shell->quit = true;
    return true;
}

static bool
run_error_again(struct command *command)
{
    shell_error_again(command->shell);
    return true;
}

/* ---- help ------------------------------------------------------------------------------------ */

static const char help_text[] =
    "General\n"
    "  \\errverbose            show the last error again, with all details\n"
    "  \\g [FILE|'|'COMMAND]   execute the statement (like a semicolon)\n"
    "  \\gexec                 execute the statement, then each value of its result\n"
    "  \\gset [PREFIX]         execute the statement, keep its one row in variables\n"
    "  \\gx                    as \\g, with expanded output\n"
    "  \\q                     quit tusk\n"
    "  \\timing [on|off]       show how long statements take\n"
    "  \\watch [SECONDS]       execute the statement again and again\n"
    "\n"
    "Help\n"
    "  \\?                     this text\n"
    "  \\h [STATEMENT]         syntax of a statement\n"
    "\n"
    "Statement buffer\n"
    "  \\e [FILE]              edit the statement (or a file) with EDITOR\n"
    "  \\p                     show the statement\n"
    "  \\r                     forget the statement\n"
    "  \\s [FILE]              show the history, or write it to a file\n"
    "  \\w FILE                write the statement to a file\n"
    "\n"
    "Input and output\n"
    "  \\copy ...              COPY from or to a file here\n"
    "  \\echo [-n] [STRING]    write a string (\\qecho: where results go, \\warn: error output)\n"
    "  \\i FILE                execute statements from a file (\\ir: beside this one)\n"
    "  \\o [FILE|'|'COMMAND]   send results to a file or program; none: back to here\n"
    "\n"
    "Conditions\n"
    "  \\if EXPRESSION  \\elif EXPRESSION  \\else  \\endif\n"
    "\n"
    "Information\n"
    "  \\d                     list tables, views and sequences\n"
    "  \\d NAME                describe a table, view, sequence or index\n"
    "  \\dt \\di \\dv \\ds [PATTERN]  list tables, indexes, views, sequences\n"
    "  \\dn [PATTERN]          list schemas\n"
    "  \\df [PATTERN]          list functions\n"
    "  \\dT [PATTERN]          list types\n"
    "  \\du [PATTERN]          list roles\n"
    "  \\dp [PATTERN]          list access privileges; also \\z\n"
    "  \\dD [PATTERN]          list domains\n"
    "  \\dx [PATTERN]          list extensions\n"
    "  \\sv VIEW               show a view's definition\n"
    "  \\sf FUNCTION           show a function's definition\n"
    "  \\l                     list databases\n"
    "\n"
    "Output\n"
    "  \\a                     aligned or unaligned\n"
    "  \\t [on|off]            rows only\n"
    "  \\x [on|off|auto]       expanded\n"
    "  \\pset NAME [VALUE]     expanded, fieldsep, format (aligned, csv, unaligned), null, pager,\n"
    "                         tuples_only\n"
    "\n"
    "Variables\n"
    "  \\set [NAME [VALUE]]    set, or list; in statements :NAME, :'NAME', :\"NAME\"\n"
    "  \\unset NAME            forget\n"
    "  \\prompt [TEXT] NAME    ask for a value\n"
    "  \\getenv NAME ENVVAR    from the environment (\\setenv ENVVAR [VALUE]: into it)\n"
    "  Read by tusk: ECHO, ON_ERROR_STOP, QUIET, VERBOSITY; set by it: DBNAME, ERROR, HOST,\n"
    "  LAST_ERROR_MESSAGE, LAST_ERROR_SQLSTATE, PORT, ROW_COUNT, SQLSTATE, USER, ..\n"
    "\n"
    "Connection and system\n"
    "  \\c [DBNAME|- [USER|- [HOST|- [PORT|-]]]]  connect anew\n"
    "  \\conninfo              show the connection\n"
    "  \\encoding              show the encoding\n"
    "  \\cd [DIRECTORY]        change the directory\n"
    "  \\! [COMMAND]           run a command, or a shell\n";

static bool
run_help(struct command *command)
{
    (void)next_argument(command);
    FILE *pager = output_page(command->shell, 75);
    (void)fputs(help_text, pager != NULL ? pager : stdout);
    if (pager != NULL) {
        output_page_end(pager);
    }
    return true;
}

static bool
run_statement_help(struct command *command)
{
    help_statement(command->shell, rest_of_line(command));
    return true;
}

static bool
run_describe(struct command *command)
{
    return describe(command->shell, command->name, next_name(command));
}

/* \sf, \sv */
static bool
run_source(struct command *command)
{
    const char *name = next_name(command);
    if (name == NULL) {
        shell_error(
            command->shell, "%s name is required", command->name[1] == 'v' ? "view" : "function");
        return false;
    }
    return show_source(command->shell, command->name[1] == 'v', name);
}

static bool
run_databases(struct command *command)
{
    return describe_databases(command->shell);
}

/* ---- which is which -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool (*run)(struct command *command);
    bool always; /* even where \if says no */
} commands[] = {
    {"!", run_shell, false},
    {"?", run_help, false},
    {"a", run_align, false},
    {"c", run_connect, false},
    {"cd", run_cd, false},
    {"connect", run_connect, false},
    {"conninfo", run_conninfo, false},
    {"copy", run_copy, false},
    {"d", run_describe, false},
    {"d+", run_describe, false},
    {"dD", run_describe, false},
    {"dT", run_describe, false},
    {"df", run_describe, false},
    {"dg", run_describe, false},
    {"di", run_describe, false},
    {"dm", run_describe, false},
    {"dn", run_describe, false},
    {"dp", run_describe, false},
    {"ds", run_describe, false},
    {"dt", run_describe, false},
    {"du", run_describe, false},
    {"dv", run_describe, false},
    {"dx", run_describe, false},
    {"e", run_edit, false},
    {"echo", run_echo, false},
    {"edit", run_edit, false},
    {"elif", run_elif, true},
    {"else", run_else, true},
    {"encoding", run_encoding, false},
    {"endif", run_endif, true},
    {"errverbose", run_error_again, false},
    {"g", run_g, false},
    {"getenv", run_getenv, false},
    {"gexec", run_gexec, false},
    {"gset", run_gset, false},
    {"gx", run_gx, false},
    {"h", run_statement_help, false},
    {"help", run_statement_help, false},
    {"i", run_include, false},
    {"if", run_if, true},
    {"include", run_include, false},
    {"include_relative", run_include, false},
    {"ir", run_include, false},
    {"l", run_databases, false},
    {"list", run_databases, false},
    {"o", run_output, false},
    {"out", run_output, false},
    {"p", run_print, false},
    {"print", run_print, false},
    {"prompt", run_prompt, false},
    {"pset", run_pset, false},
    {"q", run_quit, false},
    {"qecho", run_qecho, false},
    {"quit", run_quit, false},
    {"r", run_reset, false},
    {"reset", run_reset, false},
    {"s", run_history, false},
    {"set", run_set, false},
    {"setenv", run_setenv, false},
    {"sf", run_source, false},
    {"sv", run_source, false},
    {"t", run_tuples_only, false},
    {"timing", run_timing, false},
    {"unset", run_unset, false},
    {"w", run_write, false},
    {"warn", run_warn, false},
    {"watch", run_watch, false},
    {"write", run_write, false},
    {"x", run_expanded, false},
    {"z", run_describe, false},
};

const char *
command_name(size_t i)
{
    return i < sizeof commands / sizeof commands[0] ? commands[i].name : NULL;
}

static bool
run_command(struct command *command)
{
    struct shell *shell = command->shell;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(command->name, commands[i].name) == 0) {
            if (commands[i].always || shell_is_active(shell)) {
                return commands[i].run(command);
            }
            break;
        }
    }
    if (!shell_is_active(shell)) {
        command->at = command->size;
        return true;
    }
    shell_error(shell, "invalid command \\%s", command->name);
    if (shell->source != NULL && shell->source->interactive) {
        (void)fputs("Try \\? for help.\n", stderr);
    }
    command->at = command->size;
    return false;
}

size_t
command_run(struct shell *shell, const char *line, size_t size, size_t at, bool *ok)
{
    if (at + 1 < size && line[at + 1] == '\\') { /* only the end of the command before */
        *ok = true;
        return at + 2;
    }
    struct arena arena;
    arena_create(&arena, "command");
    size_t end = at + 1;
    while (end < size && !is_space(line[end]) && line[end] != '\\' && line[end] != '|') {
        end++;
    }
    if (end > at + 2 && line[at + 1] == '!') { /* \!ls */
        end = at + 2;
    }
    /* \dt; and \x; are typed by habit. */
    size_t name_end = end;
    while (name_end > at + 1 && line[name_end - 1] == ';') {
        name_end--;
    }
    struct command command = {
        .shell = shell, .line = line, .size = size, .at = end, .arena = &arena};
    command.name = arena_strndup(&arena, line + at + 1, name_end - at - 1);
    *ok = run_command(&command);
    (void)fflush(stdout);
    bool warned = false;
    unsigned extras = 0;
    for (const char *extra = next_argument(&command);
         extra != NULL && *ok && extras++ < ARGUMENTS_MAX; extra = next_argument(&command)) {
        if (!warned && strcmp(extra, ";") != 0) {
            shell_error(shell, "\\%s: extra argument \"%s\" ignored", command.name, extra);
            warned = true;
        }
    }
    end = command.at;
    arena_destroy(&arena);
    return end;
}
