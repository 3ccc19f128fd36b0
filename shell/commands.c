/* shell/commands.c - the loop over statements, and the commands that begin with a backslash. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shell/shell.h"

enum {
    SOURCE_DEPTH_MAX = 32
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

/* The next argument, or NULL. '...' quotes; "..." too, but stays, because it means something to
 * names. A backslash ends the command. */
static const char *
next_argument(struct command *command)
{
    const char *line = command->line;
    size_t size = command->size;
    size_t at = command->at;
    while (at < size && is_space(line[at])) {
        at++;
    }
    command->at = at;
    if (at == size || line[at] == '\\') {
        return NULL;
    }
    char *word = arena_alloc(command->arena, size - at + 1);
    size_t length = 0;
    while (at < size && !is_space(line[at]) && line[at] != '\\') {
        char quote = line[at] == '\'' || line[at] == '"' ? line[at] : '\0';
        if (quote == '\0') {
            word[length++] = line[at++];
            continue;
        }
        if (quote == '"') {
            word[length++] = quote;
        }
        for (at++; at < size; at++) {
            if (line[at] == quote) {
                if (at + 1 < size && line[at + 1] == quote) {
                    at++;
                } else {
                    break;
                }
            }
            word[length++] = line[at];
        }
        if (quote == '"') {
            word[length++] = quote;
        }
        at += at < size;
    }
    command->at = at;
    return word;
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

static void
say(const struct shell *shell, const char *words)
{
    if (!shell->quiet) {
        (void)printf("%s\n", words);
    }
}

/* on, off, or (NULL) the other. */
static bool
set_switch(struct shell *shell, const char *name, const char *value, bool *which)
{
    if (value == NULL) {
        *which = !*which;
    } else if (strcmp(value, "on") == 0 || strcmp(value, "true") == 0 || strcmp(value, "1") == 0) {
        *which = true;
    } else if (strcmp(value, "off") == 0 || strcmp(value, "false") == 0 ||
               strcmp(value, "0") == 0) {
        *which = false;
    } else {
        shell_error(shell, "unrecognized value \"%s\" for \"%s\": Boolean expected", value, name);
        return false;
    }
    return true;
}

/* ---- commands -------------------------------------------------------------------------------- */

static const char help_text[] =
    "General\n"
    "  \\q                     quit tusk\n"
    "  \\g                     execute the statement (like a semicolon)\n"
    "  \\gx                    the same, with expanded output\n"
    "  \\timing [on|off]       show how long statements take\n"
    "\n"
    "Statement buffer\n"
    "  \\p                     show the statement\n"
    "  \\r                     forget the statement\n"
    "\n"
    "Input\n"
    "  \\i FILE                execute statements from a file\n"
    "  \\copy ...              COPY from or to a file here\n"
    "  \\echo [STRING]         write a string\n"
    "\n"
    "Information\n"
    "  \\d                     list tables, views and sequences\n"
    "  \\d NAME                describe a table, view, sequence or index\n"
    "  \\dt \\di \\dv \\ds [PATTERN]  list tables, indexes, views, sequences\n"
    "  \\dn [PATTERN]          list schemas\n"
    "  \\du [PATTERN]          list roles\n"
    "  \\l                     list databases\n"
    "\n"
    "Output\n"
    "  \\a                     aligned or unaligned\n"
    "  \\t [on|off]            rows only\n"
    "  \\x [on|off]            expanded\n"
    "  \\pset NAME [VALUE]     expanded, fieldsep, format, null, tuples_only\n"
    "  \\set NAME VALUE        ON_ERROR_STOP, QUIET; \\unset NAME\n"
    "\n"
    "Connection\n"
    "  \\c [DBNAME|- [USER|- [HOST|- [PORT|-]]]]  connect anew\n"
    "  \\conninfo              show the connection\n";

static bool
run_toggle(struct command *command, const char *name, bool *which, const char *label)
{
    struct shell *shell = command->shell;
    if (!set_switch(shell, name, next_argument(command), which)) {
        return false;
    }
    if (!shell->quiet) {
        (void)printf("%s is %s.\n", label, *which ? "on" : "off");
    }
    return true;
}

static bool
run_pset(struct command *command)
{
    struct shell *shell = command->shell;
    const char *name = next_argument(command);
    if (name == NULL) {
        (void)printf("expanded    %s\nfieldsep    '%s'\nformat      %s\nnull        '%s'\n"
                     "tuples_only %s\n",
            shell->print.expanded ? "on" : "off", shell->separator,
            shell->print.unaligned ? "unaligned" : "aligned", shell->null_text,
            shell->print.tuples_only ? "on" : "off");
        return true;
    }
    if (strcmp(name, "expanded") == 0 || strcmp(name, "x") == 0) {
        return run_toggle(command, name, &shell->print.expanded, "Expanded display");
    }
    if (strcmp(name, "tuples_only") == 0 || strcmp(name, "t") == 0) {
        return run_toggle(command, name, &shell->print.tuples_only, "Tuples only");
    }
    const char *value = next_argument(command);
    if (strcmp(name, "null") == 0) {
        (void)snprintf(shell->null_text, sizeof shell->null_text, "%s", value == NULL ? "" : value);
        if (!shell->quiet) {
            (void)printf("Null display is \"%s\".\n", shell->null_text);
        }
        return true;
    }
    if (strcmp(name, "fieldsep") == 0 && value != NULL) {
        (void)snprintf(shell->separator, sizeof shell->separator, "%s", value);
        if (!shell->quiet) {
            (void)printf("Field separator is \"%s\".\n", shell->separator);
        }
        return true;
    }
    if (strcmp(name, "format") == 0 && value != NULL) {
        bool unaligned = strcmp(value, "unaligned") == 0;
        if (!unaligned && strcmp(value, "aligned") != 0) {
            shell_error(shell, "\\pset: allowed formats are aligned, unaligned");
            return false;
        }
        shell->print.unaligned = unaligned;
        say(shell, unaligned ? "Output format is unaligned." : "Output format is aligned.");
        return true;
    }
    shell_error(shell, "\\pset: unknown option: %s", name);
    return false;
}

static bool
run_set(struct command *command, bool unset)
{
    struct shell *shell = command->shell;
    const char *name = next_argument(command);
    const char *value = unset ? "off" : next_argument(command);
    if (name == NULL) {
        (void)printf("ON_ERROR_STOP = '%s'\nQUIET = '%s'\n", shell->stop_on_error ? "on" : "off",
            shell->quiet ? "on" : "off");
        return true;
    }
    if (value == NULL) {
        value = "on";
    }
    if (strcmp(name, "ON_ERROR_STOP") == 0) {
        return set_switch(shell, name, value, &shell->stop_on_error);
    }
    if (strcmp(name, "QUIET") == 0) {
        return set_switch(shell, name, value, &shell->quiet);
    }
    shell_error(shell, "variable \"%s\" is not supported, only ON_ERROR_STOP and QUIET", name);
    return false;
}

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
        if (!shell->quiet) {
            (void)printf("You are now connected to database \"%s\" as user \"%s\".\n",
                connection->database, connection->user);
        }
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
run_echo(struct command *command, FILE *to)
{
    const char *separator = "";
    for (const char *word = next_argument(command); word != NULL; word = next_argument(command)) {
        (void)fprintf(to, "%s%s", separator, word);
        separator = " ";
    }
    (void)fputc('\n', to);
    (void)fflush(to);
    return true;
}

static bool
run_buffer(struct shell *shell)
{
    struct buffer *query = shell->query.size > 0 ? &shell->query : &shell->previous;
    if (query->size == 0) {
        return true;
    }
    /* A copy: the statement may bring in a file (COPY), which uses the buffers. */
    size_t size = query->size;
    char *text = mem_alloc(size);
    memcpy(text, query->data, size);
    shell->previous.size = 0;
    buffer_add(&shell->previous, text, size);
    shell->query.size = 0;
    scan_reset(&shell->scanner);
    bool ok = shell_execute(shell, text, size);
    mem_free(text);
    return ok;
}

static bool
is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static bool
run_output_command(struct command *command, const char *name, bool *known)
{
    struct shell *shell = command->shell;
    *known = true;
    if (strcmp(name, "x") == 0) {
        return run_toggle(command, "\\x", &shell->print.expanded, "Expanded display");
    }
    if (strcmp(name, "t") == 0) {
        return run_toggle(command, "\\t", &shell->print.tuples_only, "Tuples only");
    }
    if (strcmp(name, "timing") == 0) {
        return run_toggle(command, "\\timing", &shell->timing, "Timing");
    }
    if (strcmp(name, "a") == 0) {
        shell->print.unaligned = !shell->print.unaligned;
        say(shell,
            shell->print.unaligned ? "Output format is unaligned." : "Output format is aligned.");
        return true;
    }
    if (strcmp(name, "pset") == 0) {
        return run_pset(command);
    }
    *known = false;
    return false;
}

static bool
run_buffer_command(struct command *command, const char *name, bool *known)
{
    struct shell *shell = command->shell;
    *known = true;
    if (strcmp(name, "g") == 0) {
        return run_buffer(shell);
    }
    if (strcmp(name, "gx") == 0) {
        bool saved = shell->print.expanded;
        shell->print.expanded = true;
        bool ok = run_buffer(shell);
        shell->print.expanded = saved;
        return ok;
    }
    if (strcmp(name, "p") == 0 || strcmp(name, "print") == 0) {
        const struct buffer *query = shell->query.size > 0 ? &shell->query : &shell->previous;
        if (query->size == 0) {
            say(shell, "Query buffer is empty.");
        } else {
            (void)printf("%.*s\n", (int)query->size, (const char *)query->data);
        }
        return true;
    }
    if (strcmp(name, "r") == 0 || strcmp(name, "reset") == 0) {
        shell->query.size = 0;
        scan_reset(&shell->scanner);
        say(shell, "Query buffer reset (cleared).");
        return true;
    }
    *known = false;
    return false;
}

static bool
run_command(struct command *command)
{
    static const char *const listings[] = {
        "d", "dt", "di", "dv", "ds", "dm", "dn", "du", "dg", NULL};
    struct shell *shell = command->shell;
    struct connection *connection = &shell->connection;
    const char *name = command->name;
    bool known;
    bool ok = run_output_command(command, name, &known);
    if (!known) {
        ok = run_buffer_command(command, name, &known);
    }
    if (known) {
        return ok;
    }
    if (strcmp(name, "q") == 0 || strcmp(name, "quit") == 0) {
        shell->quit = true;
        return true;
    }
    if (strcmp(name, "?") == 0 || strcmp(name, "h") == 0 || strcmp(name, "help") == 0) {
        (void)next_argument(command);
        (void)fputs(help_text, stdout);
        return true;
    }
    if (is_one_of(name, listings)) {
        return describe(shell, name, next_name(command));
    }
    if (strcmp(name, "l") == 0 || strcmp(name, "list") == 0) {
        return describe_databases(shell);
    }
    if (strcmp(name, "i") == 0 || strcmp(name, "include") == 0 || strcmp(name, "ir") == 0) {
        const char *path = next_argument(command);
        if (path == NULL) {
            shell_error(shell, "\\%s: missing required argument", name);
            return false;
        }
        return shell_run_file(shell, path) == EXIT_FINE;
    }
    if (strcmp(name, "copy") == 0) {
        size_t from = command->at;
        command->at = command->size;
        return shell_copy(shell, command->line + from, command->size - from);
    }
    if (strcmp(name, "c") == 0 || strcmp(name, "connect") == 0) {
        return run_connect(command);
    }
    if (strcmp(name, "conninfo") == 0) {
        if (connection->socket == NULL) {
            (void)puts("You are currently not connected to a database.");
        } else {
            (void)printf("You are connected to database \"%s\" as user \"%s\" on host \"%s\" at "
                         "port \"%u\".\n",
                connection->database, connection->user, connection->host, connection->port);
        }
        return true;
    }
    if (strcmp(name, "echo") == 0 || strcmp(name, "qecho") == 0) {
        return run_echo(command, stdout);
    }
    if (strcmp(name, "warn") == 0) {
        return run_echo(command, stderr);
    }
    if (strcmp(name, "set") == 0 || strcmp(name, "unset") == 0) {
        return run_set(command, name[0] == 'u');
    }
    shell_error(shell, "invalid command \\%s", name);
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
    while (end < size && !is_space(line[end]) && line[end] != '\\') {
        end++;
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
    for (const char *extra = next_argument(&command); extra != NULL && *ok;
         extra = next_argument(&command)) {
        if (!warned && strcmp(extra, ";") != 0) {
            shell_error(shell, "\\%s: extra argument \"%s\" ignored", command.name, extra);
            warned = true;
        }
    }
    end = command.at;
    arena_destroy(&arena);
    return end;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void
make_prompt(const struct shell *shell, char *prompt, size_t size)
{
    const struct connection *connection = &shell->connection;
    bool fresh = shell->query.size == 0 && shell->scanner.mode == SCAN_NORMAL;
    char place = fresh ? '=' : scan_prompt(&shell->scanner);
    const char *state = connection->transaction == 'T'   ? "*"
                        : connection->transaction == 'E' ? "!"
                                                         : "";
    if (connection->socket == NULL) {
        place = '!';
        state = "?";
    }
    (void)snprintf(prompt, size, "%s%c%s%c ", connection->database, place, state,
        connection->superuser ? '#' : '>');
}

/* Words that people type who do not know where they are. */
static bool
plain_word(struct shell *shell, const char *line)
{
    if (shell->query.size > 0 || !shell->source->interactive) {
        return false;
    }
    if (strcmp(line, "quit") == 0 || strcmp(line, "exit") == 0) {
        shell->quit = true;
        return true;
    }
    if (strcmp(line, "help") == 0) {
        (void)puts("You are using tusk, the command-line client of the Tusk server.\n"
                   "Type  \\? for help with tusk commands\n"
                   "      \\g or a semicolon to execute a statement\n"
                   "      \\q to quit");
        return true;
    }
    return false;
}

/* All statements and commands that end on this line. False: stop the script. */
static bool
run_line(struct shell *shell, const char *line)
{
    size_t size = strlen(line);
    size_t at = 0;
    bool stop = shell->stop_on_error && !shell->source->interactive;
    if (shell->query.size > 0) {
        buffer_add_u8(&shell->query, '\n');
    }
    while (!shell->quit && !shell->lost) {
        bool ok = true;
        enum scan_end end = scan_line(&shell->scanner, line, size, &at, &shell->query);
        if (end == SCAN_INCOMPLETE) {
            return true;
        }
        if (end == SCAN_SEMICOLON) {
            ok = run_buffer(shell);
        } else {
            at = command_run(shell, line, size, at, &ok);
        }
        if (!ok && (stop || (shell->canceled && !shell->source->interactive))) {
            return false;
        }
    }
    return true;
}

int
shell_run_source(struct shell *shell, struct source *source)
{
    struct scanner saved_scanner = shell->scanner;
    struct buffer saved_query = shell->query;
    struct buffer history = {0};
    int code = EXIT_FINE;
    source->outer = shell->source;
    shell->source = source;
    shell->query = (struct buffer){0};
    scan_reset(&shell->scanner);
    while (!shell->quit && !shell->lost && code == EXIT_FINE) {
        char prompt[CONNECTION_NAME_MAX + 8];
        make_prompt(shell, prompt, sizeof prompt);
        char *line = input_line(shell, prompt);
        if (line == NULL && shell_interrupted && source->interactive) {
            shell->query.size = 0;
            history.size = 0;
            scan_reset(&shell->scanner);
            continue;
        }
        if (line == NULL) {
            break;
        }
        if (source->interactive) {
            if (history.size > 0) {
                buffer_add_u8(&history, '\n');
            }
            buffer_add_text(&history, line);
        }
        if (shell->echo_queries && !source->interactive) {
            (void)puts(line);
        }
        if (!plain_word(shell, line) && !run_line(shell, line)) {
            code = EXIT_SCRIPT;
        }
        mem_free(line);
        if (source->interactive && shell->query.size == 0) {
            input_remember(shell, (const char *)history.data, history.size);
            history.size = 0;
        }
    }
    if (source->interactive && !shell->quit && !shell->lost) {
        (void)puts(shell->quiet ? "" : "\\q");
    }
    if (!source->interactive && code == EXIT_FINE && shell->query.size > 0 && !shell->quit &&
        !shell->lost && !run_buffer(shell) && shell->stop_on_error) {
        code = EXIT_SCRIPT;
    }
    buffer_destroy(&history);
    buffer_destroy(&shell->query);
    shell->query = saved_query;
    shell->scanner = saved_scanner;
    shell->source = source->outer;
    shell->quit = false; /* \q leaves one source */
    return shell->lost ? EXIT_CONNECTION : code;
}

int
shell_run_file(struct shell *shell, const char *path)
{
    unsigned depth = 0;
    for (const struct source *at = shell->source; at != NULL; at = at->outer) {
        depth++;
    }
    if (depth >= SOURCE_DEPTH_MAX) {
        shell_error(shell, "%s: files include each other too deeply", path);
        return EXIT_FATAL;
    }
    struct source source = {.name = path};
    if (strcmp(path, "-") == 0) {
        source.file = stdin;
        source.name = "<stdin>";
    } else {
        source.file = fopen(path, "r");
    }
    if (source.file == NULL) {
        shell_error(shell, "%s: %s", path, strerror(errno));
        return EXIT_FATAL;
    }
    int code = shell_run_source(shell, &source);
    if (source.file != stdin) {
        (void)fclose(source.file);
    }
    return code;
}
