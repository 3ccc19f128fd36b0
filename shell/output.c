/* shell/output.c - where results go: the terminal, a pager, a file, a program. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "shell/shell.h"

/* What reads our results may end before they do; then they are dropped. */
static FILE *
open_program(const char *command)
{
    (void)fflush(stdout);
    (void)signal(SIGPIPE, SIG_IGN);
    FILE *to = popen(command, "w"); /* a shell command is what the user asked for */
    if (to == NULL) {
        (void)signal(SIGPIPE, SIG_DFL);
    }
    return to;
}

static int
close_program(FILE *to)
{
    int status = pclose(to);
    (void)signal(SIGPIPE, SIG_DFL);
    return status;
}

bool
output_open(struct shell *shell, const char *where, struct output *saved)
{
    *saved = shell->output;
    if (where == NULL) {
        shell->output = (struct output){.file = stdout};
        return true;
    }
    bool program = where[0] == '|';
    FILE *to = program ? open_program(where + 1) : fopen(where, "w");
    if (to == NULL) {
        shell_error(shell, "%s: %s", where, strerror(errno));
        return false;
    }
    shell->output = (struct output){.file = to, .program = program};
    return true;
}

bool
output_close(struct shell *shell, struct output *output)
{
    if (output->file == stdout) {
        return fflush(stdout) == 0;
    }
    if (output->program) {
        int status = close_program(output->file);
        if (status != 0 && WIFEXITED(status)) {
            shell_error(shell, "program exited with code %d", WEXITSTATUS(status));
        }
        return status == 0;
    }
    if (fclose(output->file) != 0) {
        shell_error(shell, "could not write the output: %s", strerror(errno));
        return false;
    }
    return true;
}

void
output_screen(unsigned *rows, unsigned *columns)
{
    struct winsize size = {0};
    *rows = *columns = 0;
    if (isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        *rows = size.ws_row;
        *columns = size.ws_col;
    }
}

FILE *
output_page(const struct shell *shell, size_t lines)
{
    unsigned rows;
    unsigned columns;
    bool terminal = shell->output.file == stdout && isatty(STDIN_FILENO) != 0;
    output_screen(&rows, &columns);
    if (!terminal || !shell->pager || rows == 0 || lines < rows) {
        return NULL;
    }
    static const char *const names[] = {"TUSK_PAGER", "PSQL_PAGER", "PAGER"};
    const char *pager = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && pager == NULL; i++) {
        pager = getenv(names[i]);
    }
    if (pager == NULL) {
        pager = "if command -v less >/dev/null; then exec less -S; else exec more; fi";
    }
    return strspn(pager, " \t") == strlen(pager) ? NULL : open_program(pager);
}

void
output_page_end(FILE *pager)
{
    (void)close_program(pager);
}

bool
output_run(struct shell *shell, const char *command)
{
    (void)fflush(stdout);
    const char *program = command;
    if (program == NULL) {
        program = getenv("SHELL");
        program = program == NULL ? "/bin/sh" : program;
    }
    int status = system(program); /* a shell command is what the user asked for */
    if (status == -1 || (WIFEXITED(status) && WEXITSTATUS(status) == 127)) {
        shell_error(shell, "\\!: failed");
        return false;
    }
    return true;
}

/* ---- \e -------------------------------------------------------------------------------------- */

static bool
write_text(const char *path, struct slice text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return false;
    }
    bool ends = text.size == 0 || text.data[text.size - 1] == '\n';
    bool fine =
        fwrite(text.data == NULL ? (const void *)"" : text.data, 1, text.size, file) == text.size &&
        (ends || fputc('\n', file) != EOF);
    return fclose(file) == 0 && fine;
}

static bool
read_text(const char *path, struct buffer *text)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    text->size = 0;
    size_t got;
    do {
        enum {
            CHUNK = 4096
        };
        got = fread(buffer_reserve(text, CHUNK), 1, CHUNK, file);
        text->size += got;
    } while (got > 0);
    bool fine = ferror(file) == 0;
    return fclose(file) == 0 && fine;
}

static const char *
editor(void)
{
    static const char *const names[] = {"TUSK_EDITOR", "PSQL_EDITOR", "EDITOR", "VISUAL"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *found = getenv(names[i]);
        if (found != NULL && found[0] != '\0') {
            return found;
        }
    }
    return "vi";
}

bool
output_edit(struct shell *shell, const char *path, struct buffer *text)
{
    char own[] = "/tmp/tusk.edit.XXXXXX.sql";
    bool fine = true;
    if (path == NULL) {
        int fd = mkstemps(own, 4);
        fine = fd >= 0 && close(fd) == 0 && write_text(own, slice_of(text->data, text->size));
    }
    const char *name = path == NULL ? own : path;
    struct buffer command = {0};
    buffer_printf(&command, "exec %s '", editor());
    for (const char *at = name; *at != '\0'; at++) {
        buffer_add_text(&command, *at == '\'' ? "'\\''" : (char[]){*at, '\0'});
    }
    buffer_add(&command, "'", 2);
    fine = fine && output_run(shell, (const char *)command.data) && read_text(name, text);
    if (!fine) {
        shell_error(shell, "could not edit file \"%s\": %s", name, strerror(errno));
    }
    buffer_destroy(&command);
    if (path == NULL) {
        (void)unlink(own);
    }
    return fine;
}
