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
};

struct shell {
    struct world *world;
    struct task *task;
    struct connection connection;
    struct print_options print;
    bool timing;
    bool quiet;
    bool stop_on_error;
    bool no_readline;
    FILE *copy_file;   /* \copy: where a COPY's data come from or go to; NULL: as usual */
    bool copying;      /* lines are data: no editing, where a tab would complete */
    bool echo_queries; /* -a */
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

/* ---- copy.c ---------------------------------------------------------------------------------- */

/* The rest of a line that begins with \copy. */
bool shell_copy(struct shell *shell, const char *line, size_t size);

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
/* Run the statements of a source to its end. Returns an exit code. */
int shell_run_source(struct shell *shell, struct source *source);
/* Open and run; EXIT_FATAL if it cannot be opened. "-" is the standard input. */
int shell_run_file(struct shell *shell, const char *path);

/* ---- describe.c ------------------------------------------------------------------------------ */

/* `what`: the command's name, as "dt"; `pattern` or NULL. */
bool describe(struct shell *shell, const char *what, const char *pattern);
bool describe_databases(struct shell *shell);

#endif /* SHELL_SHELL_H */
