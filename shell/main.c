/* shell/main.c - the command line of `tusk`. */
#include <getopt.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "shell/conninfo.h"
#include "shell/shell.h"

#define VERSION "0.1.0"

enum {
    ACTIONS_MAX = 64,
};

#define PORT_DEFAULT "5433"

enum {
    OPTION_HELP = 256,
    OPTION_VERSION,
    OPTION_STOP_ON_ERROR,
    OPTION_CSV,
};

/* -c and -f, in their order. */
struct action {
    bool is_file;
    const char *text;
};

struct program {
    struct shell shell;
    struct action actions[ACTIONS_MAX];
    int action_count;
    const char *output; /* -o, or NULL */
    bool no_start_file;
    int code;
};

static const char usage[] =
    "tusk is the interactive client of the Tusk server. It also talks to PostgreSQL.\n"
    "\n"
    "Usage:\n"
    "  tusk [OPTION]... [DBNAME [USERNAME]]\n"
    "\n"
    "General options:\n"
    "  -c, --command=COMMAND   run only this (SQL or a backslash command) and exit; may be "
    "repeated\n"
    "  -d, --dbname=DBNAME     database to connect to (default: PGDATABASE or \"postgres\"), or\n"
    "                          a connection string or URI, also with sslmode, sslrootcert, ..\n"
    "  -f, --file=FILE         execute statements from a file, then exit; may be repeated\n"
    "  -V, --version           output version information, then exit\n"
    "  -X, --no-psqlrc         do not read ~/.tuskrc\n"
    "      --help              show this help, then exit\n"
    "\n"
    "Input and output options:\n"
    "  -a, --echo-all          echo all input from scripts\n"
    "  -A, --no-align          unaligned output\n"
    "  -b, --echo-errors       echo statements that fail\n"
    "      --csv               output as comma-separated values\n"
    "  -e, --echo-queries      echo what is sent to the server\n"
    "  -F, --field-separator=STRING  for unaligned output (default: \"|\")\n"
    "  -n, --no-readline       no line editing\n"
    "  -o, --output=FILE       send results to a file, or to a program: \"|COMMAND\"\n"
    "  -q, --quiet             only query output\n"
    "  -t, --tuples-only       rows only\n"
    "  -v, --set=NAME=VALUE    set a variable; in scripts it is :NAME\n"
    "  -x, --expanded          expanded output\n"
    "      --stop-on-error     stop a script at its first error, with exit code 3\n"
    "\n"
    "Connection options:\n"
    "  -h, --host=HOSTNAME     server host (default: PGHOST or \"localhost\")\n"
    "  -p, --port=PORT         server port (default: PGPORT or 5433)\n"
    "  -U, --username=USERNAME user name (default: PGUSER or your name)\n"
    "  -w, --no-password       accepted: passwords come from PGPASSWORD, PGPASSFILE or\n"
    "                          ~/.pgpass, or the terminal\n"
    "\n"
    "Exit codes: 0 fine, 1 an error of its own or in -c, 2 connection lost or refused,\n"
    "3 error in a script with --stop-on-error.\n";

static void (*world_handler)(int signal);

/* For readline and for us; then the world's, which wakes a waiting task. */
static void
on_interrupt(int signal)
{
    shell_interrupted = 1;
    if (world_handler != NULL) {
        world_handler(signal);
    }
}

/* On a task of the world. A Ctrl-C at the prompt is readline's business. */
static void
on_signal(void *arg, int signal)
{
    struct shell *shell = arg;
    if (signal == SIGINT && shell_interrupted && shell->running) {
        task_interrupt(shell->task, TASK_CANCEL);
    }
}

static void
take_signals(struct shell *shell)
{
    world_on_signal(shell->world, on_signal, shell);
    struct sigaction action = {.sa_handler = on_interrupt};
    struct sigaction old;
    (void)sigaction(SIGINT, &action, &old);
    world_handler = old.sa_handler;
    /* Nothing here is worth a tidy end. */
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGQUIT, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
}

static const char *
environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : otherwise;
}

static const char *
own_name(void)
{
    const struct passwd *entry = getpwuid(geteuid());
    return entry != NULL ? entry->pw_name : environment("USER", "postgres");
}

static bool
complain(const struct diag *diag)
{
    (void)fprintf(stderr, "tusk: error: %s\n", diag->message);
    return false;
}

static bool
set_option(struct shell *shell, const char *name, const char *value)
{
    struct diag diag;
    return conninfo_set(&shell->connection, name, value, &diag) == ERR_OK || complain(&diag);
}

/* A name, or a connection string. */
static bool
set_database(struct shell *shell, const char *text)
{
    struct diag diag;
    return conninfo_is(text)
               ? conninfo_read(&shell->connection, text, &diag) == ERR_OK || complain(&diag)
               : set_option(shell, "dbname", text);
}

/* What stands before the command line says anything. */
static bool
take_environment(struct shell *shell)
{
    const struct {
        const char *option, *variable, *otherwise;
    } known[] = {
        {"host", "PGHOST", "localhost"},
        {"port", "PGPORT", PORT_DEFAULT},
        {"user", "PGUSER", own_name()},
        {"dbname", "PGDATABASE", "postgres"},
        {"application_name", "PGAPPNAME", "tusk"},
        {"sslmode", "PGSSLMODE", "prefer"},
        {"sslrootcert", "PGSSLROOTCERT", ""},
        {"sslcert", "PGSSLCERT", ""},
        {"sslkey", "PGSSLKEY", ""},
    };
    bool fine = true;
    for (size_t i = 0; i < sizeof known / sizeof known[0] && fine; i++) {
        fine =
            set_option(shell, known[i].option, environment(known[i].variable, known[i].otherwise));
    }
    return fine;
}

/* NAME=VALUE, or NAME= to unset, or NAME. */
static bool
set_variable(struct shell *shell, const char *text)
{
    const char *equals = strchr(text, '=');
    char *name = mem_strdup(text);
    name[equals == NULL ? strlen(text) : (size_t)(equals - text)] = '\0';
    const char *bare = strcmp(name, "ON_ERROR_STOP") == 0 || strcmp(name, "QUIET") == 0 ? "on" : "";
    const char *value = equals == NULL ? bare : equals[1] == '\0' ? NULL : equals + 1;
    bool fine = variable_set(shell, name, value);
    mem_free(name);
    return fine;
}

/* -1: go on; otherwise the exit code. */
static int
parse_arguments(struct program *program, int argc, char **argv)
{
    static const struct option options[] = {{"command", required_argument, NULL, 'c'},
        {"dbname", required_argument, NULL, 'd'}, {"file", required_argument, NULL, 'f'},
        {"version", no_argument, NULL, OPTION_VERSION}, {"no-psqlrc", no_argument, NULL, 'X'},
        {"help", no_argument, NULL, OPTION_HELP}, {"echo-all", no_argument, NULL, 'a'},
        {"echo-errors", no_argument, NULL, 'b'}, {"echo-queries", no_argument, NULL, 'e'},
        {"csv", no_argument, NULL, OPTION_CSV}, {"output", required_argument, NULL, 'o'},
        {"no-align", no_argument, NULL, 'A'}, {"field-separator", required_argument, NULL, 'F'},
        {"no-readline", no_argument, NULL, 'n'}, {"quiet", no_argument, NULL, 'q'},
        {"tuples-only", no_argument, NULL, 't'}, {"set", required_argument, NULL, 'v'},
        {"expanded", no_argument, NULL, 'x'},
        {"stop-on-error", no_argument, NULL, OPTION_STOP_ON_ERROR},
        {"host", required_argument, NULL, 'h'}, {"port", required_argument, NULL, 'p'},
        {"username", required_argument, NULL, 'U'}, {"no-password", no_argument, NULL, 'w'},
        {NULL, 0, NULL, 0}};
    struct shell *shell = &program->shell;
    int option;
    bool fine = true;
    while (fine && (option = getopt_long(
                        argc, argv, "abc:d:ef:h:no:p:qtv:wxAF:U:VX?", options, NULL)) != -1) {
        switch (option) {
        case 'c':
        case 'f':
            if (program->action_count == ACTIONS_MAX) {
                (void)fputs("tusk: error: too many -c and -f\n", stderr);
                return EXIT_FATAL;
            }
            program->actions[program->action_count++] =
                (struct action){.is_file = option == 'f', .text = optarg};
            break;
        case 'd':
            fine = set_database(shell, optarg);
            break;
        case 'h':
            fine = set_option(shell, "host", optarg);
            break;
        case 'U':
            fine = set_option(shell, "user", optarg);
            break;
        case 'p':
            fine = set_option(shell, "port", optarg);
            break;
        case 'v':
            fine = set_variable(shell, optarg);
            break;
        case 'F':
            (void)snprintf(shell->separator, sizeof shell->separator, "%s", optarg);
            break;
        case 'a':
        case 'b':
        case 'e':
            fine = variable_set(shell, "ECHO",
                option == 'a'   ? "all"
                : option == 'b' ? "errors"
                                : "queries");
            break;
        case 'o':
            program->output = optarg;
            break;
        case OPTION_CSV:
            shell->print.format = PRINT_CSV;
            break;
        case 'n':
            shell->no_readline = true;
            break;
        case 'q':
            fine = variable_set(shell, "QUIET", "on");
            break;
        case 't':
            shell->print.tuples_only = true;
            break;
        case 'x':
            shell->print.expanded = PRINT_EXPANDED_ON;
            break;
        case 'A':
            shell->print.format = PRINT_UNALIGNED;
            break;
        case 'X':
            program->no_start_file = true;
            break;
        case 'w':
            break;
        case OPTION_STOP_ON_ERROR:
            fine = variable_set(shell, "ON_ERROR_STOP", "on");
            break;
        case 'V':
        case OPTION_VERSION:
            (void)puts("tusk (Tusk) " VERSION);
            return EXIT_FINE;
        case OPTION_HELP:
            (void)fputs(usage, stdout);
            return EXIT_FINE;
        default:
            (void)fputs("Try \"tusk --help\" for more information.\n", stderr);
            return EXIT_FATAL;
        }
    }
    if (fine && optind < argc) {
        fine = set_database(shell, argv[optind++]);
    }
    if (fine && optind < argc) {
        fine = set_option(shell, "user", argv[optind++]);
    }
    if (!fine) {
        return EXIT_FATAL;
    }
    if (optind < argc) {
        (void)fprintf(
            stderr, "tusk: warning: extra command-line argument \"%s\" ignored\n", argv[optind]);
    }
    return -1;
}

static int
run_actions(struct program *program)
{
    struct shell *shell = &program->shell;
    int code = EXIT_FINE;
    for (int i = 0; i < program->action_count; i++) {
        const struct action *action = &program->actions[i];
        if (action->is_file) {
            code = shell_run_file(shell, action->text);
        } else if (action->text[0] == '\\') {
            bool ok = true;
            size_t size = strlen(action->text);
            for (size_t at = 0; at < size && ok && action->text[at] == '\\' && !shell->quit;) {
                at = command_run(shell, action->text, size, at, &ok);
            }
            code = ok ? EXIT_FINE : EXIT_FATAL;
        } else {
            code =
                shell_execute(shell, action->text, strlen(action->text)) ? EXIT_FINE : EXIT_FATAL;
        }
        shell->quit = false;
        if (shell->lost) {
            return EXIT_CONNECTION;
        }
        if (code != EXIT_FINE && shell->stop_on_error) {
            return code;
        }
    }
    return code;
}

static int
run_terminal(struct shell *shell)
{
    struct source source = {.file = stdin};
    source.interactive = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
    if (!source.interactive) {
        return shell_run_source(shell, &source);
    }
    if (!shell->quiet) {
        (void)printf("tusk (" VERSION ", server %s)\nType \"\\?\" for help.\n\n",
            shell->connection.server_version);
    }
    input_start(shell);
    int code = shell_run_source(shell, &source);
    input_end(shell);
    return code;
}

/* ~/.tuskrc, or what TUSKRC names. Its errors are shown and stop nothing. */
static void
run_start_file(struct shell *shell)
{
    char path[1024];
    const char *home = getenv("HOME");
    const char *chosen = getenv("TUSKRC");
    int size = chosen != NULL ? snprintf(path, sizeof path, "%s", chosen)
                              : snprintf(path, sizeof path, "%s/.tuskrc", home == NULL ? "" : home);
    if (size < (int)sizeof path && access(path, R_OK) == 0) {
        (void)shell_run_file(shell, path);
    }
}

static void
shell_main(struct task *task, void *arg)
{
    struct program *program = arg;
    struct shell *shell = &program->shell;
    shell->task = task;
    program->code = EXIT_CONNECTION;
    struct output standard;
    bool opened = program->output == NULL || output_open(shell, program->output, &standard);
    if (!opened) {
        program->code = EXIT_FATAL;
    } else if (shell_connect(shell)) {
        if (!program->no_start_file) {
            run_start_file(shell);
        }
        program->code = program->action_count > 0 ? run_actions(program) : run_terminal(shell);
    }
    if (!output_close(shell, &shell->output) && program->code == EXIT_FINE) {
        program->code = EXIT_FATAL;
    }
    connection_destroy(&shell->connection);
    buffer_destroy(&shell->previous);
    buffer_destroy(&shell->last_error);
    world_stop(shell->world);
}

int
main(int argc, char **argv)
{
    struct program *program = mem_zalloc(sizeof *program);
    struct shell *shell = &program->shell;
    shell->output.file = stdout;
    shell->pager = true;
    const char *terminal = getenv("TERM");
    shell->color = isatty(STDERR_FILENO) != 0 && getenv("NO_COLOR") == NULL && terminal != NULL &&
                   strcmp(terminal, "dumb") != 0;
    shell->print.null_text = shell->null_text;
    shell->print.separator = shell->separator;
    (void)snprintf(shell->separator, sizeof shell->separator, "|");
    shell->connection.transaction = 'I';
    variables_start(shell);
    program->code = take_environment(shell) ? parse_arguments(program, argc, argv) : EXIT_FATAL;
    if (program->code < 0) {
        struct diag diag;
        struct world_os_options options = {.worker_count = 1, .helper_count = 1};
        if (world_os_new(&options, &shell->world, &diag) != ERR_OK ||
            task_spawn(shell->world, 0, "shell", shell_main, program, &diag) != ERR_OK) {
            (void)fprintf(stderr, "tusk: error: %s\n", diag.message);
            program->code = EXIT_FATAL;
        } else {
            take_signals(shell);
            world_run(shell->world);
            world_delete(shell->world);
        }
    }
    int code = program->code;
    variables_end(shell);
    mem_free(program);
    return fflush(stdout) != 0 ? EXIT_FATAL : code;
}
