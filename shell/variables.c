/* shell/variables.c - \set and friends: names with values, some of which the shell itself reads. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/mem.h"
#include "shell/shell.h"

struct variable {
    char *name, *value;
};

/* ---- those the shell reads ------------------------------------------------------------------- */

static bool
parse_switch(const char *text, bool *on)
{
    static const struct {
        const char *word;
        bool on;
    } words[] = {{"on", true}, {"true", true}, {"yes", true}, {"1", true}, {"off", false},
        {"false", false}, {"no", false}, {"0", false}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *on = words[i].on;
            return true;
        }
    }
    return false;
}

bool
shell_parse_switch(struct shell *shell, const char *name, const char *value, bool *which)
{
    bool fine = parse_switch(value, which);
    if (!fine) {
        shell_error(shell, "unrecognized value \"%s\" for \"%s\": Boolean expected", value, name);
    }
    return fine;
}

static bool
one_of(struct shell *shell, const char *name, const char *value, const char *const *words,
    const char *list, int *which)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcasecmp(value, words[i]) == 0) {
            *which = i;
            return true;
        }
    }
    shell_error(shell, "unrecognized value \"%s\" for \"%s\"\nAvailable values are: %s.", value,
        name, list);
    return false;
}

/* What psql's variables do that we do not have: refused rather than kept without effect. */
static const char *const refused[] = {
    "AUTOCOMMIT", "ECHO_HIDDEN", "FETCH_COUNT", "ON_ERROR_ROLLBACK", "SINGLELINE", "SINGLESTEP"};

static bool
refuse(struct shell *shell, const char *name, const char *value)
{
    bool on = false;
    bool usual = strcmp(name, "AUTOCOMMIT") == 0;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (strcmp(name, refused[i]) == 0 && (!parse_switch(value, &on) || on != usual)) {
            shell_error(shell, "variable \"%s\" cannot be \"%s\" in tusk", name, value);
            return true;
        }
    }
    return false;
}

/* The value takes effect; false if it is no value for this name. `value` is never NULL. */
static bool
apply(struct shell *shell, const char *name, const char *value)
{
    static const char *const verbosities[] = {"default", "terse", "verbose", "sqlstate", NULL};
    static const char *const echoes[] = {"none", "all", "queries", "errors", NULL};
    int which;
    if (strcmp(name, "ON_ERROR_STOP") == 0) {
        return shell_parse_switch(shell, name, value, &shell->stop_on_error);
    }
    if (strcmp(name, "QUIET") == 0) {
        return shell_parse_switch(shell, name, value, &shell->quiet);
    }
    if (strcmp(name, "VERBOSITY") == 0) {
        bool fine =
            one_of(shell, name, value, verbosities, "default, verbose, terse, sqlstate", &which);
        shell->verbosity = fine ? (enum verbosity)which : shell->verbosity;
        return fine;
    }
    if (strcmp(name, "ECHO") == 0) {
        bool fine = one_of(shell, name, value, echoes, "none, errors, queries, all", &which);
        shell->echo = fine ? (enum echo)which : shell->echo;
        return fine;
    }
    return !refuse(shell, name, value);
}

/* What a variable that the shell reads is without \set; NULL: it is not one. */
static const char *
initial(const char *name)
{
    static const struct {
        const char *name, *value;
    } ours[] = {
        {"ECHO", "none"}, {"ON_ERROR_STOP", "off"}, {"QUIET", "off"}, {"VERBOSITY", "default"}};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcmp(name, ours[i].name) == 0) {
            return ours[i].value;
        }
    }
    return NULL;
}

/* ---- all of them ----------------------------------------------------------------------------- */

bool
variable_is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool
is_name(const char *name)
{
    size_t size = 0;
    while (variable_is_name_char(name[size])) {
        size++;
    }
    return size > 0 && name[size] == '\0';
}

/* Where it is, or would be. */
static size_t
place_of(const struct shell *shell, const char *name, bool *found)
{
    size_t i = 0;
    while (i < shell->variable_count && strcmp(shell->variables[i].name, name) < 0) {
        i++;
    }
    *found = i < shell->variable_count && strcmp(shell->variables[i].name, name) == 0;
    return i;
}

const char *
variable_get(const struct shell *shell, const char *name, size_t size)
{
    for (size_t i = 0; i < shell->variable_count; i++) {
        const struct variable *variable = &shell->variables[i];
        if (strncmp(variable->name, name, size) == 0 && variable->name[size] == '\0') {
            return variable->value;
        }
    }
    return NULL;
}

static void
store(struct shell *shell, const char *name, const char *value)
{
    bool found;
    size_t at = place_of(shell, name, &found);
    if (found) {
        mem_free(shell->variables[at].value);
    } else {
        shell->variables =
            mem_realloc(shell->variables, (shell->variable_count + 1) * sizeof *shell->variables);
        memmove(&shell->variables[at + 1], &shell->variables[at],
            (shell->variable_count - at) * sizeof *shell->variables);
        shell->variables[at].name = mem_strdup(name);
        shell->variable_count++;
    }
    shell->variables[at].value = mem_strdup(value);
}

bool
variable_set(struct shell *shell, const char *name, const char *value)
{
    if (!is_name(name)) {
        shell_error(shell, "invalid variable name: \"%s\"", name);
        return false;
    }
    const char *usual = initial(name);
    if (value == NULL && usual != NULL) {
        value = usual;
    }
    if (value != NULL && !apply(shell, name, value)) {
        return false;
    }
    bool found;
    size_t at = place_of(shell, name, &found);
    if (value != NULL) {
        store(shell, name, value);
    } else if (found) {
        mem_free(shell->variables[at].name);
        mem_free(shell->variables[at].value);
        shell->variable_count--;
        memmove(&shell->variables[at], &shell->variables[at + 1],
            (shell->variable_count - at) * sizeof *shell->variables);
    }
    return true;
}

void
variables_list(const struct shell *shell, FILE *to)
{
    for (size_t i = 0; i < shell->variable_count; i++) {
        (void)fprintf(to, "%s = '%s'\n", shell->variables[i].name, shell->variables[i].value);
    }
}

void
variables_of_connection(struct shell *shell)
{
    const struct connection *connection = &shell->connection;
    char port[16];
    (void)snprintf(port, sizeof port, "%u", connection->port);
    store(shell, "DBNAME", connection->database);
    store(shell, "ENCODING", "UTF8");
    store(shell, "HOST", connection->host);
    store(shell, "PORT", port);
    store(shell, "SERVER_VERSION_NAME", connection->server_version);
    store(shell, "USER", connection->user);
}

void
variables_of_result(struct shell *shell, const char *sqlstate, const char *message, size_t rows)
{
    char count[32];
    bool failed = sqlstate != NULL;
    (void)snprintf(count, sizeof count, "%zu", rows);
    store(shell, "ERROR", failed ? "true" : "false");
    store(shell, "SQLSTATE", failed ? sqlstate : "00000");
    store(shell, "ROW_COUNT", count);
    if (failed) {
        store(shell, "LAST_ERROR_SQLSTATE", sqlstate);
        store(shell, "LAST_ERROR_MESSAGE", message);
    }
}

void
variables_start(struct shell *shell)
{
    static const char *const names[] = {"ECHO", "ON_ERROR_STOP", "QUIET", "VERBOSITY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool fine = variable_set(shell, names[i], initial(names[i]));
        ASSERT(fine);
    }
    store(shell, "LAST_ERROR_MESSAGE", "");
    store(shell, "LAST_ERROR_SQLSTATE", "00000");
    variables_of_result(shell, NULL, NULL, 0);
}

void
variables_end(struct shell *shell)
{
    while (shell->variable_count > 0) {
        const struct variable *variable = &shell->variables[--shell->variable_count];
        mem_free(variable->name);
        mem_free(variable->value);
    }
    mem_free(shell->variables);
}

/* ---- where they are used --------------------------------------------------------------------- */

/* 'x' doubled inside quotes; a backslash in a literal makes it E'..'. */
static void
add_quoted(struct buffer *to, const char *value, char quote)
{
    if (quote == '\'' && strchr(value, '\\') != NULL) {
        buffer_add_text(to, " E");
    }
    buffer_add_u8(to, (uint8_t)quote);
    for (; *value != '\0'; value++) {
        if (*value == quote || (quote == '\'' && *value == '\\')) {
            buffer_add_u8(to, (uint8_t)*value);
        }
        buffer_add_u8(to, (uint8_t)*value);
    }
    buffer_add_u8(to, (uint8_t)quote);
}

size_t
variable_reference(const struct shell *shell, const char *text, size_t size, struct buffer *value)
{
    if (size < 2 || text[0] != ':') {
        return 0;
    }
    if (size >= 4 && text[1] == '{' && text[2] == '?') {
        size_t end = 3;
        while (end < size && variable_is_name_char(text[end])) {
            end++;
        }
        if (end == 3 || end == size || text[end] != '}') {
            return 0;
        }
        bool there = variable_get(shell, text + 3, end - 3) != NULL;
        buffer_add_text(value, there ? "TRUE" : "FALSE");
        return end + 1;
    }
    char quote = text[1] == '\'' || text[1] == '"' ? text[1] : '\0';
    size_t begin = quote == '\0' ? 1 : 2;
    size_t end = begin;
    while (end < size && variable_is_name_char(text[end])) {
        end++;
    }
    if (end == begin || (quote != '\0' && (end == size || text[end] != quote))) {
        return 0;
    }
    const char *found = variable_get(shell, text + begin, end - begin);
    if (found == NULL) {
        return 0;
    }
    if (quote == '\0') {
        buffer_add_text(value, found);
        return end;
    }
    add_quoted(value, found, quote);
    return end + 1;
}
