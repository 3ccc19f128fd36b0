/* shell/input.c - lines from a terminal or a file; history; completion. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <termios.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "base/mem.h"
#include "shell/shell.h"

enum {
    HISTORY_SIZE = 2000,
    WORD_MAX = 128,
};

volatile sig_atomic_t shell_interrupted;

/* readline's callbacks carry no argument. */
static struct shell *completing;

static const char *const keywords[] = {"ABORT", "ADD", "ALL", "ALTER", "ANALYZE", "AND", "ANY",
    "AS", "ASC", "BEGIN", "BETWEEN", "BIGINT", "BOOLEAN", "BY", "BYTEA", "CASCADE", "CASE", "CAST",
    "CHECK", "CHECKPOINT", "COLUMN", "COMMIT", "CONSTRAINT", "COPY", "CREATE", "CROSS",
    "CURRENT_DATE", "CURRENT_TIMESTAMP", "DATE", "DEFAULT", "DELETE", "DESC", "DISTINCT",
    "DOUBLE PRECISION", "DROP", "ELSE", "END", "EXCEPT", "EXISTS", "EXPLAIN", "FALSE",
    "FOREIGN KEY", "FROM", "FULL", "GROUP BY", "HAVING", "IF", "IN", "INDEX", "INNER",
    "INSERT INTO", "INTEGER", "INTERSECT", "INTO", "IS", "ISOLATION LEVEL", "JOIN", "KEY", "LEFT",
    "LIKE", "LIMIT", "NOT", "NULL", "NUMERIC", "OFFSET", "ON", "OR", "ORDER BY", "OUTER",
    "PRIMARY KEY", "READ COMMITTED", "REFERENCES", "RELEASE", "REPEATABLE READ", "RESET",
    "RETURNING", "RIGHT", "ROLLBACK", "SAVEPOINT", "SELECT", "SERIALIZABLE", "SET", "SHOW",
    "SMALLINT", "START TRANSACTION", "TABLE", "TEXT", "THEN", "TIMESTAMP", "TIMESTAMPTZ", "TO",
    "TRANSACTION", "TRUE", "TRUNCATE", "UNION", "UNIQUE", "UPDATE", "USING", "UUID", "VALUES",
    "VARCHAR", "VIEW", "WHEN", "WHERE", "WITH"};

static const char *const commands[] = {"\\?", "\\a", "\\c", "\\conninfo", "\\d", "\\di", "\\dn",
    "\\ds", "\\dt", "\\du", "\\dv", "\\echo", "\\g", "\\gx", "\\i", "\\l", "\\p", "\\pset", "\\q",
    "\\r", "\\set", "\\t", "\\timing", "\\unset", "\\x"};

/* ---- completion ------------------------------------------------------------------------------ */

struct candidates {
    char **names;
    size_t count, capacity, next;
};

static struct candidates found;

static void
add_candidate(const char *name)
{
    if (found.count == found.capacity) {
        found.capacity = found.capacity == 0 ? 32 : found.capacity * 2;
        found.names = mem_realloc(found.names, found.capacity * sizeof *found.names);
    }
    found.names[found.count++] = mem_strdup(name);
}

static void
forget_candidates(void)
{
    while (found.count > 0) {
        mem_free(found.names[--found.count]);
    }
    found.next = 0;
}

static bool
has_prefix(const char *text, const char *prefix)
{
    for (; *prefix != '\0'; text++, prefix++) {
        char a = *text >= 'A' && *text <= 'Z' ? (char)(*text + 32) : *text;
        char b = *prefix >= 'A' && *prefix <= 'Z' ? (char)(*prefix + 32) : *prefix;
        if (a != b) {
            return false;
        }
    }
    return true;
}

/* In lower case if that is how the word was begun. */
static void
add_keyword(const char *keyword, const char *prefix)
{
    char word[WORD_MAX];
    bool lower = prefix[0] >= 'a' && prefix[0] <= 'z';
    size_t i = 0;
    for (; keyword[i] != '\0' && i + 1 < sizeof word; i++) {
        bool change = lower && keyword[i] >= 'A' && keyword[i] <= 'Z';
        word[i] = change ? (char)(keyword[i] + 32) : keyword[i];
    }
    word[i] = '\0';
    add_candidate(word);
}

/* Tables, views and the like whose names begin so. Not in a failed transaction, where any query
 * would only be refused. */
static void
add_relations(const char *prefix)
{
    struct shell *shell = completing;
    if (shell->connection.socket == NULL || shell->connection.transaction == 'E' ||
        strlen(prefix) >= WORD_MAX) {
        return;
    }
    struct buffer query = {0};
    buffer_add_text(&query, "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relkind IN "
                            "('r', 'v', 'm', 'S', 'f', 'p') AND "
                            "pg_catalog.pg_table_is_visible(c.oid) AND c.relname LIKE '");
    for (const char *at = prefix; *at != '\0'; at++) {
        if (*at == '\'' || *at == '\\') {
            buffer_destroy(&query);
            return;
        }
        if (*at == '_' || *at == '%') {
            buffer_add_u8(&query, '\\');
        }
        buffer_add_u8(&query, (uint8_t)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at));
    }
    buffer_add_text(&query, "%' ORDER BY 1 LIMIT 1000");
    buffer_add_u8(&query, 0);
    struct arena arena;
    struct print_table table;
    arena_create(&arena, "completion");
    if (shell_fetch(shell, (const char *)query.data, &arena, &table, true)) {
        for (size_t i = 0; i < table.cell_count; i++) {
            add_candidate(
                arena_strndup(&arena, (const char *)table.cells[i].data, table.cells[i].size));
        }
    }
    arena_destroy(&arena);
    buffer_destroy(&query);
}

static char *
next_candidate(const char *prefix, int state)
{
    (void)prefix;
    (void)state;
    return found.next < found.count ? mem_strdup(found.names[found.next++]) : NULL;
}

static char **
complete(const char *prefix, int start, int end)
{
    (void)end;
    rl_attempted_completion_over = 1; /* never file names */
    forget_candidates();
    if (prefix[0] == '\\') {
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
            if (strncmp(commands[i], prefix, strlen(prefix)) == 0) {
                add_candidate(commands[i]);
            }
        }
    } else {
        bool after_command = rl_line_buffer[0] == '\\';
        for (size_t i = 0; !after_command && i < sizeof keywords / sizeof keywords[0]; i++) {
            if (prefix[0] != '\0' && has_prefix(keywords[i], prefix)) {
                add_keyword(keywords[i], prefix);
            }
        }
        if (start > 0) {
            add_relations(prefix);
        }
    }
    return found.count == 0 ? NULL : rl_completion_matches(prefix, next_candidate);
}

/* ---- readline -------------------------------------------------------------------------------- */

/* The next key. Ctrl-C counts as the end of the line, which input_line then drops; readline's own
 * rl_getc would wait for one key more. */
static int
get_key(FILE *from)
{
    int fd = fileno(from);
    for (;;) {
        /* Blocked between the look and the wait, or a Ctrl-C there would wait for a key. */
        sigset_t interrupt;
        sigset_t usual;
        (void)sigemptyset(&interrupt);
        (void)sigaddset(&interrupt, SIGINT);
        (void)sigprocmask(SIG_BLOCK, &interrupt, &usual);
        bool pending = rl_pending_signal() != 0 || shell_interrupted;
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(fd, &readable);
        int ready = pending ? -1 : pselect(fd + 1, &readable, NULL, NULL, NULL, &usual);
        bool failed = !pending && ready < 0 && errno != EINTR;
        (void)sigprocmask(SIG_SETMASK, &usual, NULL);
        if (failed) {
            return EOF;
        }
        if (ready < 0) {
            rl_check_signals();
            if (shell_interrupted) {
                return '\n';
            }
            continue;
        }
        unsigned char key;
        ssize_t got = read(fd, &key, 1);
        if (got >= 0 || errno != EINTR) {
            return got == 1 ? key : EOF;
        }
    }
}

static bool
history_path(char *path, size_t size)
{
    const char *home = getenv("HOME");
    const char *chosen = getenv("TUSK_HISTORY");
    if (chosen != NULL) {
        return snprintf(path, size, "%s", chosen) < (int)size;
    }
    return home != NULL && snprintf(path, size, "%s/.tusk_history", home) < (int)size;
}

void
input_start(struct shell *shell)
{
    char path[1024];
    completing = shell;
    rl_readline_name = "tusk";
    rl_attempted_completion_function = complete;
    rl_basic_word_break_characters = "\t\n@$><=;|&{() ,'\"";
    rl_getc_function = get_key;
    using_history();
    stifle_history(HISTORY_SIZE);
    if (history_path(path, sizeof path)) {
        (void)read_history(path);
    }
}

void
input_end(struct shell *shell)
{
    char path[1024];
    forget_candidates();
    mem_free(found.names);
    found = (struct candidates){0};
    if (history_path(path, sizeof path) && write_history(path) != 0) {
        shell_error(shell, "could not save history to file \"%s\"", path);
    }
}

void
input_remember(struct shell *shell, const char *text, size_t size)
{
    (void)shell;
    char *line = mem_alloc(size + 1);
    memcpy(line, text, size);
    line[size] = '\0';
    const HIST_ENTRY *last =
        history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
    if (size > 0 && (last == NULL || strcmp(last->line, line) != 0)) {
        add_history(line);
    }
    mem_free(line);
}

char *
input_line(struct shell *shell, const char *prompt)
{
    struct source *source = shell->source;
    source->line++;
    shell_interrupted = 0;
    if (source->interactive && !shell->no_readline && !shell->copying) {
        char *line = readline(prompt);
        if (shell_interrupted) {
            mem_free(line);
            return NULL;
        }
        return line;
    }
    if (source->interactive) {
        (void)fputs(prompt, stdout);
        (void)fflush(stdout);
    }
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size = getline(&line, &capacity, source->file);
    if (size < 0) {
        clearerr(source->file); /* Ctrl-C, or Ctrl-D, which a terminal survives */
        mem_free(line);
        return NULL;
    }
    if (size > 0 && line[size - 1] == '\n') {
        line[size - 1] = '\0';
    }
    return line;
}

char *
input_password(const char *prompt)
{
    FILE *terminal = fopen("/dev/tty", "r+");
    if (terminal == NULL) {
        return NULL;
    }
    struct termios saved;
    int fd = fileno(terminal);
    (void)tcgetattr(fd, &saved);
    struct termios silent = saved;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(fd, TCSAFLUSH, &silent);
    (void)fputs(prompt, terminal);
    (void)fflush(terminal);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size = getline(&line, &capacity, terminal);
    (void)tcsetattr(fd, TCSAFLUSH, &saved);
    (void)fputc('\n', terminal);
    (void)fclose(terminal);
    if (size <= 0) {
        mem_free(line);
        return NULL;
    }
    if (line[size - 1] == '\n') {
        line[size - 1] = '\0';
    }
    return line;
}
