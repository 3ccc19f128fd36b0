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

/* Letters folded, and % behind: for LIKE. False if the prefix is no plain name. */
static bool
add_like(struct buffer *query, const char *prefix)
{
    buffer_add_text(query, " LIKE '");
    for (const char *at = prefix; *at != '\0'; at++) {
        if (*at == '\'' || *at == '\\') {
            return false;
        }
        if (*at == '_' || *at == '%') {
            buffer_add_u8(query, '\\');
        }
        buffer_add_u8(query, (uint8_t)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at));
    }
    buffer_add_text(query, "%'");
    return true;
}

/* The first column of what the server answers. */
static void
add_answers(struct buffer *query)
{
    struct arena arena;
    struct print_table table;
    buffer_add_text(query, " ORDER BY 1 LIMIT 1000");
    buffer_add_u8(query, 0);
    arena_create(&arena, "completion");
    if (shell_fetch(completing, (const char *)query->data, &arena, &table, true)) {
        for (size_t i = 0; i < table.cell_count; i++) {
            add_candidate(
                arena_strndup(&arena, (const char *)table.cells[i].data, table.cells[i].size));
        }
    }
    arena_destroy(&arena);
}

/* Not in a failed transaction, where any query would only be refused. */
static bool
can_ask(const char *prefix)
{
    return completing->connection.socket != NULL && completing->connection.transaction != 'E' &&
           strlen(prefix) < WORD_MAX;
}

/* Tables, views and the like whose names begin so. */
static void
add_relations(const char *prefix)
{
    struct buffer query = {0};
    buffer_add_text(&query, "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relkind IN "
                            "('r', 'v', 'm', 'S', 'f', 'p') AND "
                            "pg_catalog.pg_table_is_visible(c.oid) AND c.relname");
    if (can_ask(prefix) && add_like(&query, prefix)) {
        add_answers(&query);
    }
    buffer_destroy(&query);
}

static bool
is_word_char(char c)
{
    return variable_is_name_char(c) || c == '$';
}

/* The word at text[*at..], folded, or "" for one other character; *at is moved behind it. */
static void
take_word(const char *text, size_t size, size_t *at, char *word)
{
    size_t length = 0;
    if (!is_word_char(text[*at])) {
        ++*at;
    }
    while (*at < size && length == 0 && is_word_char(text[*at])) {
        for (; *at < size && is_word_char(text[*at]); ++*at) {
            char c = text[*at];
            if (length + 1 < WORD_MAX) {
                word[length++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
            }
        }
    }
    word[length] = '\0';
}

/* 'a', 'b': the words of the statement that follow FROM, JOIN, UPDATE, INTO, TABLE or a comma,
 * where a table's name may stand. Names that are none find no column. */
static bool
add_tables_of(struct buffer *query, const char *text, size_t size)
{
    static const char *const before[] = {"from", "join", "update", "into", "table", ","};
    char last[WORD_MAX] = "";
    char word[WORD_MAX];
    bool any = false;
    for (size_t at = 0; at < size;) {
        char other = text[at];
        take_word(text, size, &at, word);
        if (word[0] == '\0') {
            if (other == ',') {
                (void)snprintf(last, sizeof last, ",");
            }
            continue;
        }
        for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
            if (strcmp(last, before[i]) == 0) {
                buffer_printf(query, "%s'%s'", any ? ", " : "", word);
                any = true;
                break;
            }
        }
        (void)snprintf(last, sizeof last, "%s", word);
    }
    return any;
}

/* Columns of the tables that the statement names, in the lines before and in this one. */
static void
add_columns(const char *prefix)
{
    struct buffer query = {0};
    struct buffer text = {0};
    buffer_add(&text, completing->query.data, completing->query.size);
    buffer_add_u8(&text, '\n');
    buffer_add_text(&text, rl_line_buffer);
    buffer_add_text(&query, "SELECT DISTINCT a.attname FROM pg_catalog.pg_attribute a "
                            "JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
                            "WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relname IN (");
    bool any = add_tables_of(&query, (const char *)text.data, text.size);
    buffer_add_text(&query, ") AND pg_catalog.pg_table_is_visible(c.oid) AND a.attname");
    if (any && can_ask(prefix) && add_like(&query, prefix)) {
        add_answers(&query);
    }
    buffer_destroy(&text);
    buffer_destroy(&query);
}

/* alias.col: what is in front of the dot stays. */
static void
add_columns_behind(const char *prefix, size_t kept)
{
    size_t first = found.count;
    add_columns(prefix + kept);
    for (size_t i = first; i < found.count; i++) {
        struct buffer whole = {0};
        buffer_add(&whole, prefix, kept);
        buffer_add_text(&whole, found.names[i]);
        buffer_add_u8(&whole, 0);
        mem_free(found.names[i]);
        found.names[i] = mem_strdup((const char *)whole.data);
        buffer_destroy(&whole);
    }
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
        for (size_t i = 0; command_name(i) != NULL; i++) {
            char word[WORD_MAX];
            (void)snprintf(word, sizeof word, "\\%s", command_name(i));
            if (strncmp(word, prefix, strlen(prefix)) == 0) {
                add_candidate(word);
            }
        }
    } else {
        bool after_command = rl_line_buffer[0] == '\\';
        for (size_t i = 0; !after_command && i < sizeof keywords / sizeof keywords[0]; i++) {
            if (prefix[0] != '\0' && has_prefix(keywords[i], prefix)) {
                add_keyword(keywords[i], prefix);
            }
        }
        const char *dot = strrchr(prefix, '.');
        if (dot != NULL && !after_command) {
            add_columns_behind(prefix, (size_t)(dot + 1 - prefix));
        } else if (start > 0 || completing->query.size > 0) {
            add_relations(prefix);
            if (!after_command) {
                add_columns(prefix);
            }
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
        source->line--;
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
