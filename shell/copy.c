/*
 * shell/copy.c - \copy: COPY between the server and a file of ours.
 *
 *     \copy { TABLE [ ( COLUMNS ) ] | ( QUERY ) } { from | to }
 *           { 'FILE' | FILE | program 'COMMAND' | stdin | stdout | pstdin | pstdout } [ OPTIONS ]
 *
 * The server sees COPY ... FROM STDIN or TO STDOUT; where the bytes come from and go to is
 * shell->copy_file's business (run.c). It ends with the line, as in psql, so it may hold
 * semicolons and backslashes.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "shell/shell.h"

struct copy_command {
    size_t target_size; /* of the line: the table or query */
    bool from;
    char *file;       /* in the arena; NULL: the standard input or output */
    bool program;     /* file is a command line */
    bool own_stdin;   /* pstdin: the program's, even inside a script */
    const char *rest; /* the options */
};

static bool
is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The end of what begins at `at`: a quoted piece, a word, or one other character. */
static size_t
token_end(const char *line, size_t at)
{
    char first = line[at];
    if (first == '\'' || first == '"') {
        for (at++; line[at] != '\0'; at++) {
            if (line[at] == first) {
                if (line[at + 1] != first) {
                    return at + 1;
                }
                at++;
            }
        }
        return at;
    }
    size_t size = strcspn(line + at, " \t\n\v\f\r()'\"");
    return at + (size == 0 ? 1 : size);
}

static bool
is_word(const char *line, size_t at, size_t end, const char *word)
{
    return end - at == strlen(word) && strncasecmp(line + at, word, end - at) == 0;
}

static size_t
skip_blanks(const char *line, size_t at)
{
    while (is_blank(line[at])) {
        at++;
    }
    return at;
}

/* The file's name without its quotes. */
static char *
unquote(struct arena *arena, const char *line, size_t at, size_t end)
{
    if (line[at] != '\'') {
        return arena_strndup(arena, line + at, end - at);
    }
    char *name = arena_alloc(arena, end - at);
    size_t size = 0;
    for (at++; at + 1 < end; at++) {
        name[size++] = line[at];
        at += line[at] == '\'';
    }
    return name;
}

static bool
parse(struct shell *shell, struct arena *arena, const char *line, struct copy_command *copy)
{
    size_t at = skip_blanks(line, 0);
    unsigned depth = 0;
    for (;;) {
        if (line[at] == '\0') {
            shell_error(shell, "\\copy: parse error at end of line");
            return false;
        }
        size_t end = token_end(line, at);
        bool from = is_word(line, at, end, "from");
        if (depth == 0 && at > 0 && (from || is_word(line, at, end, "to"))) {
            copy->target_size = at;
            copy->from = from;
            at = skip_blanks(line, end);
            break;
        }
        depth += line[at] == '(';
        depth -= line[at] == ')' && depth > 0;
        at = skip_blanks(line, end);
    }
    if (line[at] == '\0') {
        shell_error(shell, "\\copy: parse error at end of line");
        return false;
    }
    size_t end = token_end(line, at);
    if (line[at] != '\'') { /* a bare name may hold anything but blanks */
        end = at + strcspn(line + at, " \t\n\v\f\r");
    }
    if (is_word(line, at, end, "program")) {
        at = skip_blanks(line, end);
        end = token_end(line, at);
        if (line[at] != '\'') {
            shell_error(shell, "\\copy: parse error at %s%.*s%s", line[at] == '\0' ? "" : "\"",
                (int)(end - at), line + at, line[at] == '\0' ? "end of line" : "\"");
            return false;
        }
        copy->program = true;
        copy->file = unquote(arena, line, at, end);
        copy->rest = line + end;
        return true;
    }
    copy->own_stdin = is_word(line, at, end, "pstdin");
    bool standard = copy->own_stdin || is_word(line, at, end, "stdin") ||
                    is_word(line, at, end, "stdout") || is_word(line, at, end, "pstdout");
    if (!standard) {
        copy->file = unquote(arena, line, at, end);
    }
    copy->rest = line + end;
    return true;
}

static bool
run(struct shell *shell, struct arena *arena, const char *line, const struct copy_command *copy)
{
    FILE *file = NULL;
    if (copy->file != NULL) {
        (void)fflush(NULL);
        (void)signal(SIGPIPE, SIG_IGN); /* a program that has heard enough does not end us */
        file = copy->program ? popen(copy->file, copy->from ? "r" : "w")
                             : fopen(copy->file, copy->from ? "r" : "w");
        if (file == NULL) {
            (void)signal(SIGPIPE, SIG_DFL);
            shell_error(shell, "%s: %s", copy->file, strerror(errno));
            return false;
        }
    } else if (copy->own_stdin) {
        file = stdin;
    }
    struct buffer query = {0};
    size_t target_size = copy->target_size;
    while (is_blank(line[target_size - 1])) {
        target_size--;
    }
    buffer_add_text(&query, "COPY  "); /* psql's blanks, so that errors point as its do */
    buffer_add(&query, line, target_size);
    buffer_add_text(&query, copy->from ? " FROM STDIN " : " TO STDOUT ");
    buffer_add_text(&query, copy->rest + skip_blanks(copy->rest, 0));
    char *text = arena_strndup(arena, (const char *)query.data, query.size);
    shell->copy_file = file;
    bool ok = shell_execute(shell, text, query.size);
    shell->copy_file = NULL;
    buffer_destroy(&query);
    if (file == NULL || file == stdin) {
        return ok;
    }
    if (!copy->from && ferror(file) != 0) {
        shell_error(shell, "could not write COPY data to %s", copy->file);
        ok = false;
    }
    int status = copy->program ? pclose(file) : fclose(file);
    (void)signal(SIGPIPE, SIG_DFL);
    if (status != 0 && !copy->program) {
        shell_error(shell, "%s: %s", copy->file, strerror(errno));
    } else if (status != 0 && WIFEXITED(status)) {
        shell_error(
            shell, "%s: child process exited with exit code %d", copy->file, WEXITSTATUS(status));
    } else if (status != 0) {
        shell_error(shell, "%s: child process did not end as it should", copy->file);
    }
    return ok && status == 0;
}

bool
shell_copy(struct shell *shell, const char *line, size_t size)
{
    struct arena arena;
    arena_create(&arena, "copy");
    while (size > 0 && (is_blank(line[size - 1]) || line[size - 1] == ';')) {
        size--;
    }
    const char *text = arena_strndup(&arena, line, size);
    struct copy_command copy = {0};
    bool ok = false;
    if (text[skip_blanks(text, 0)] == '\0') {
        shell_error(shell, "\\copy: arguments required");
    } else {
        text += skip_blanks(text, 0);
        ok = parse(shell, &arena, text, &copy) && run(shell, &arena, text, &copy);
    }
    arena_destroy(&arena);
    return ok;
}
