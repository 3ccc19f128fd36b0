/*
 * shell/shell.h - the interactive client, as its files see it.
 *
 * One task does everything. It sleeps only in the connection; readline blocks the thread, which has
 * nothing else to do.
 */
#ifndef SHELL_SHELL_H
#define SHELL_SHELL_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "shell/connection.h"
#include "shell/print.h"
#include "shell/scan.h"

/* Exit codes are psql's. */
enum {
    EXIT_FINE = 0,
    EXIT_FATAL = 1,      /* our own: bad arguments, a file that cannot be opened, -c that failed */
    EXIT_CONNECTION = 2, /* lost, and nobody there to try again */
    EXIT_SCRIPT = 3,     /* an error in a script, with --stop-on-error */
};

/* Where lines come from; sources nest (\i). */
struct source {
    struct source *outer;
    FILE *file;
    const char *name; /* for error messages; NULL: none wanted */
    unsigned line;
    bool interactive;
    unsigned outer_conditions; /* \if's that were open before it */
};

/* Where results go. */
struct output {
    FILE *file;
    bool program; /* it is a pipe to one */
};

enum verbosity {
    VERBOSITY_DEFAULT,
    VERBOSITY_TERSE,
    VERBOSITY_VERBOSE,
    VERBOSITY_SQLSTATE,
};

enum echo {
    ECHO_NONE,
    ECHO_ALL,
    ECHO_QUERIES,
    ECHO_ERRORS,
};

enum {
    CONDITION_DEPTH_MAX = 32
};

/* An \if that is not ended. */
struct condition {
    bool active; /* this branch runs */
    bool taken;  /* a branch ran, or none may */
    bool other;  /* \else was */
};

struct variable;

struct shell {
    struct world *world;
    struct task *task;
    struct connection connection;
    struct print_options print;
    bool timing;
    bool quiet;
    bool stop_on_error;
    bool no_readline;
    FILE *copy_file; /* \copy: where a COPY's data come from or go to; NULL: as usual */
    bool copying;    /* lines are data: no editing, where a tab would complete */
    struct output output;
    struct output saved_output; /* while \g FILE has its own */
    bool pager;
    bool color; /* of error messages */
    enum verbosity verbosity;
    enum echo echo;
    struct variable *variables; /* in the order of their names */
    size_t variable_count;
    struct condition conditions[CONDITION_DEPTH_MAX];
    unsigned condition_count;
    struct buffer last_error; /* body of the last ErrorResponse, for \errverbose */
    const char *title;        /* over the next results (\watch); or NULL */
    bool gather;              /* results are not shown but kept in `gathered` (\gset, \gexec) */
    struct arena *gather_arena;
    struct print_table gathered;
    struct source *source;
    struct scanner scanner;
    struct buffer query;    /* what is being typed */
    struct buffer previous; /* what was sent last, for \g and \p */
    bool running;           /* a statement is: Ctrl-C cancels it */
    bool canceled;          /* Ctrl-C came while it ran */
    bool quit;
    bool lost; /* the connection was lost and could not be made again */
    char null_text[64];
    char separator[16];
};

extern volatile sig_atomic_t shell_interrupted; /* Ctrl-C was pressed */

/* ---- run.c ----------------------------------------------------------------------------------- */

/* Connect, and say why not. */
bool shell_connect(struct shell *shell);
/* Send a query text (one or many statements) and show all results. False if any failed. */
bool shell_execute(struct shell *shell, const char *text, size_t size);
/* Run a query for the shell's own use: `table` gets columns and cells from `arena`. Errors are
 * shown unless `silent`. */
bool shell_fetch(struct shell *shell, const char *text, struct arena *arena,
    struct print_table *table, bool silent);
/* "tusk: error: ..." or, in a script, "tusk:FILE:LINE: error: ..." */
void shell_error(struct shell *shell, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* \errverbose: the last error once more, with all it has. */
void shell_error_again(struct shell *shell);

/* ---- progress.c ------------------------------------------------------------------------------ */

/* How far the data of a \copy are, where somebody sees it: not at once, and not too often. */
struct progress {
    bool shown;
    int64_t start_us, last_us;
    uint64_t total; /* 0: not known */
    uint64_t done;
};

void progress_start(struct progress *progress, const struct shell *shell); /* of shell->copy_file */
void progress_add(struct progress *progress, const struct shell *shell, size_t bytes);
void progress_end(struct progress *progress);

/* For a statement that may build an index; NULL if it will not, or nobody sees it. The others take
 * that NULL. */
struct watch *watch_start(struct shell *shell, const char *text, size_t size);
void watch_message(struct watch *watch); /* something else will be written */
void watch_end(struct watch *watch);

/* ---- copy.c ---------------------------------------------------------------------------------- */

/* The rest of a line that begins with \copy. */
bool shell_copy(struct shell *shell, const char *line, size_t size);

/* ---- variables.c ----------------------------------------------------------------------------- */

void variables_start(struct shell *shell);
void variables_end(struct shell *shell);
/* What it is called now: DBNAME, USER, HOST, PORT .. */
void variables_of_connection(struct shell *shell);
/* ERROR, SQLSTATE, ROW_COUNT ..; sqlstate NULL: it went well. */
void variables_of_result(
    struct shell *shell, const char *sqlstate, const char *message, size_t rows);
/* NULL if there is none. */
const char *variable_get(const struct shell *shell, const char *name, size_t size);
/* False, and said why, if it cannot be. NULL unsets. */
bool variable_set(struct shell *shell, const char *name, const char *value);
void variables_list(const struct shell *shell, FILE *to);
bool variable_is_name_char(char c);
/* :name, :'name', :"name" or :{?name} at the beginning of text: appends what stands for it and
 * returns its size; 0 if it is none, or none that is set. */
size_t variable_reference(
    const struct shell *shell, const char *text, size_t size, struct buffer *value);
/* on, off, ..; says so if it is neither. */
bool shell_parse_switch(struct shell *shell, const char *name, const char *value, bool *which);

/* ---- output.c -------------------------------------------------------------------------------- */

/* Send results to a file or, as "|command", a program; NULL: the standard output. */
bool output_open(struct shell *shell, const char *where, struct output *saved);
bool output_close(struct shell *shell, struct output *output);
/* The terminal's size; 0 if there is none. */
void output_screen(unsigned *rows, unsigned *columns);
/* A pager, if so many lines are too many for the terminal; or NULL. */
FILE *output_page(const struct shell *shell, size_t lines);
void output_page_end(FILE *pager);
/* Run a shell command, or (NULL) a shell. */
bool output_run(struct shell *shell, const char *command);
/* Let the user edit the text, or a file that is then read into it. */
bool output_edit(struct shell *shell, const char *path, struct buffer *text);

/* ---- help.c ---------------------------------------------------------------------------------- */

/* \h: the statement's syntax, or a list of all. */
void help_statement(struct shell *shell, const char *words);

/* ---- input.c --------------------------------------------------------------------------------- */

void input_start(struct shell *shell); /* history, completion */
void input_end(struct shell *shell);   /* save history */
/* The next line without its newline, on the heap; NULL at the end or (interactive) on Ctrl-C, which
 * sets shell_interrupted. */
char *input_line(struct shell *shell, const char *prompt);
void input_remember(struct shell *shell, const char *text, size_t size);
/* A line that is not shown. NULL without a terminal. */
char *input_password(const char *prompt);

/* ---- commands.c ------------------------------------------------------------------------------ */

/* Run the command at line[at] == '\\'; returns where it ends. *ok: it worked. */
size_t command_run(struct shell *shell, const char *line, size_t size, size_t at, bool *ok);
/* Names of all commands, for i from 0; NULL behind the last. */
const char *command_name(size_t i);

/* ---- loop.c ---------------------------------------------------------------------------------- */

/* No \if keeps statements and commands from running. */
bool shell_is_active(const struct shell *shell);
/* Run the statement being typed, or the last one once more. */
bool shell_run_buffer(struct shell *shell);
/* Run lines as if they came from the current source. */
bool shell_run_text(struct shell *shell, const char *text, size_t size);
/* Run the statements of a source to its end. Returns an exit code. */
int shell_run_source(struct shell *shell, struct source *source);
/* Open and run; EXIT_FATAL if it cannot be opened. "-" is the standard input. */
int shell_run_file(struct shell *shell, const char *path);

/* ---- describe.c ------------------------------------------------------------------------------ */

/* `what`: the command's name, as "dt"; `pattern` or NULL. */
bool describe(struct shell *shell, const char *what, const char *pattern);
/* \sv and \sf: the statement that makes a view or a function. */
bool show_source(struct shell *shell, bool view, const char *name);
bool describe_databases(struct shell *shell);

#endif /* SHELL_SHELL_H */
