/* shell/loop.c - lines to statements and commands: the terminal, files, text from an editor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shell/shell.h"

enum {
    SOURCE_DEPTH_MAX = 32,
    EXPANSIONS_MAX = 1000, /* of variables in one line: one may stand for itself */
};

bool
shell_is_active(const struct shell *shell)
{
    return shell->condition_count == 0 || shell->conditions[shell->condition_count - 1].active;
}

bool
shell_run_buffer(struct shell *shell)
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

static void
make_prompt(const struct shell *shell, char *prompt, size_t size)
{
    const struct connection *connection = &shell->connection;
    bool fresh = shell->query.size == 0 && shell->scanner.mode == SCAN_NORMAL;
    char place = !shell_is_active(shell) ? '@' : fresh ? '=' : scan_prompt(&shell->scanner);
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

/* Puts the value of the variable at `at` into the line. False: there is none, the colon is text. */
static bool
expand(struct shell *shell, struct buffer *line, size_t at)
{
    struct buffer value = {0};
    size_t size = variable_reference(shell, (const char *)line->data + at, line->size - at, &value);
    if (size > 0) {
        size_t rest = line->size - at - size;
        (void)buffer_reserve(line, value.size);
        memmove(line->data + at + value.size, line->data + at + size, rest);
        if (value.size > 0) {
            memcpy(line->data + at, value.data, value.size);
        }
        line->size = at + value.size + rest;
    }
    buffer_destroy(&value);
    return size > 0;
}

/* What scan_line found at `at` of the line. */
static bool
run_piece(struct shell *shell, enum scan_end end, struct buffer *line, size_t *at)
{
    bool ok = true;
    if (end == SCAN_BACKSLASH) {
        *at = command_run(shell, (const char *)line->data, line->size, *at, &ok);
    } else if (shell_is_active(shell)) {
        ok = shell_run_buffer(shell);
    }
    return ok;
}

/* All statements and commands that end on this line. False: stop the script. */
static bool
run_line(struct shell *shell, const char *text, size_t text_size)
{
    struct buffer line = {0};
    struct buffer skipped = {0}; /* what \if leaves out */
    size_t at = 0;
    unsigned expansions = 0;
    bool stop = shell->stop_on_error && !shell->source->interactive;
    bool go_on = true;
    buffer_add(&line, text, text_size);
    size_t begun = 0; /* size of the query at the line's beginning, with its newline */
    if (shell->query.size > 0 && shell_is_active(shell)) {
        buffer_add_u8(&shell->query, '\n');
        begun = shell->query.size;
    }
    while (!shell->quit && !shell->lost && go_on) {
        bool active = shell_is_active(shell);
        struct buffer *into = active ? &shell->query : &skipped;
        /* At its end the line may have no bytes at all. */
        const char *bytes = line.size == 0 ? "" : (const char *)line.data;
        enum scan_end end = scan_line(&shell->scanner, bytes, line.size, &at, into);
        if (end == SCAN_INCOMPLETE) {
            break;
        }
        if (end == SCAN_BACKSLASH && begun > 0 && shell->query.size == begun) {
            shell->query.size--; /* nothing but commands on this line */
        }
        begun = 0;
        if (end == SCAN_VARIABLE) {
            if (!active || !expand(shell, &line, at)) {
                buffer_add_u8(into, ':');
                at++;
            } else if (++expansions > EXPANSIONS_MAX) {
                shell_error(shell, "too many variables in one line; one may stand for itself");
                shell->query.size = 0;
                break;
            }
            continue;
        }
        bool ok = run_piece(shell, end, &line, &at);
        go_on = ok || !(stop || (shell->canceled && !shell->source->interactive));
    }
    buffer_destroy(&line);
    buffer_destroy(&skipped);
    return go_on;
}

bool
shell_run_text(struct shell *shell, const char *text, size_t size)
{
    struct source source = {.file = stdin, .interactive = true};
    struct source *saved = shell->source;
    shell->source = saved == NULL ? &source : saved;
    bool ok = true;
    for (size_t at = 0; at < size && ok;) {
        const char *newline = memchr(text + at, '\n', size - at);
        size_t line_size = newline == NULL ? size - at : (size_t)(newline - text) - at;
        ok = run_line(shell, text + at, line_size);
        at += line_size + 1;
    }
    shell->source = saved;
    return ok;
}

int
shell_run_source(struct shell *shell, struct source *source)
{
    struct scanner saved_scanner = shell->scanner;
    struct buffer saved_query = shell->query;
    struct buffer history = {0};
    int code = EXIT_FINE;
    source->outer = shell->source;
    source->outer_conditions = shell->condition_count;
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
        if (shell->echo == ECHO_ALL && !source->interactive) {
            (void)puts(line);
        }
        if (!plain_word(shell, line) && !run_line(shell, line, strlen(line))) {
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
        !shell->lost && !shell_run_buffer(shell) && shell->stop_on_error) {
        code = EXIT_SCRIPT;
    }
    if (shell->condition_count > source->outer_conditions && !shell->quit && !shell->lost) {
        shell_error(shell, "reached EOF without finding closing \\endif(s)");
        code =
            shell->stop_on_error && !source->interactive && code == EXIT_FINE ? EXIT_SCRIPT : code;
    }
    shell->condition_count = source->outer_conditions;
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
