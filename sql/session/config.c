#include "sql/session/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "sql/session/config_internal.h"
#include "sql/session/setting_table.h"

enum {
    FILE_SIZE_MAX = 1 << 20,
    PATH_SIZE_MAX = 4096,
};

static const char main_file[] = "tusk.conf";
static const char auto_file[] = "tusk.auto.conf";

/* ---- a configuration ------------------------------------------------------------------------- */

struct sql_config *
sql_config_new(void)
{
    struct sql_config *config =
        mem_zalloc(sizeof *config + (size_t)setting_count * sizeof config->values[0]);
    config->references = 1;
    return config;
}

void
sql_config_retain(struct sql_config *config)
{
    config->references++;
}

void
sql_config_release(struct sql_config *config)
{
    if (config == NULL || --config->references > 0) {
        return;
    }
    for (int i = 0; i < setting_count; i++) {
        mem_free(config->values[i].text);
    }
    mem_free(config);
}

const char *
config__value(const struct sql_config *config, int index)
{
    const char *text = config->values[index].text;
    return text != NULL ? text : setting_table[index].initial;
}

const char *
sql_config_text(const struct sql_config *config, const char *name)
{
    int index = setting_find(name);
    ASSERT(index >= 0);
    return config__value(config, index);
}

int64_t
sql_config_integer(const struct sql_config *config, const char *name)
{
    return strtoll(sql_config_text(config, name), NULL, 10);
}

static enum err
set(struct task *task, struct sql_config *config, const char *name, const char *value,
    enum config_source source, uint32_t line, struct diag *diag)
{
    int index = setting_find(name);
    if (index < 0) { /* names with a dot too: nobody would read them */
        return setting_unknown(name, diag);
    }
    const struct setting *setting = &setting_table[index];
    if ((setting->flags & (SETTING_READ_ONLY | SETTING_SESSION)) != 0) {
        return diag_set(
            diag, ERR_CANT_CHANGE_PARAMETER, "parameter \"%s\" cannot be changed", setting->name);
    }
    char *checked = NULL;
    TRY(setting_check(task, setting, value, NULL, &checked, diag));
    mem_free(config->values[index].text);
    config->values[index] = (struct config_value){.text = checked, .source = source, .line = line};
    return ERR_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

struct reader {
    const char *text;
    size_t size, at;
    uint32_t line;
    char name[128];
    struct buffer value; /* ends with a NUL */
};

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void
skip_blanks(struct reader *reader)
{
    while (reader->at < reader->size && is_blank(reader->text[reader->at])) {
        reader->at++;
    }
}

static bool
at_line_end(const struct reader *reader)
{
    return reader->at == reader->size || reader->text[reader->at] == '\n' ||
           reader->text[reader->at] == '#';
}

static void
skip_line(struct reader *reader)
{
    const char *newline = memchr(reader->text + reader->at, '\n', reader->size - reader->at);
    reader->at = newline == NULL ? reader->size : (size_t)(newline - reader->text) + 1;
}

static bool
read_name(struct reader *reader)
{
    size_t size = 0;
    while (reader->at < reader->size && size + 1 < sizeof reader->name) {
        char c = reader->text[reader->at];
        if (!isalnum((unsigned char)c) && c != '_' && c != '.') {
            break;
        }
        reader->name[size++] = c;
        reader->at++;
    }
    reader->name[size] = '\0';
    return size > 0 && !isdigit((unsigned char)reader->name[0]);
}

static bool
read_quoted(struct reader *reader)
{
    for (reader->at++; reader->at < reader->size; reader->at++) {
        char c = reader->text[reader->at];
        char next = reader->at + 1 < reader->size ? reader->text[reader->at + 1] : '\0';
        if (c == '\n' || c == '\0') {
            return false;
        }
        if (c == '\'' && next != '\'') {
            reader->at++;
            return true;
        }
        if (c == '\'' || (c == '\\' && next != '\0' && next != '\n')) {
            reader->at++;
            c = next;
        }
        buffer_add_u8(&reader->value, (uint8_t)c);
    }
    return false;
}

static bool
read_value(struct reader *reader)
{
    reader->value.size = 0;
    bool fine = true;
    if (!at_line_end(reader) && reader->text[reader->at] == '\'') {
        fine = read_quoted(reader);
    } else {
        while (!at_line_end(reader) && !is_blank(reader->text[reader->at]) &&
               reader->text[reader->at] != '\0') {
            buffer_add_u8(&reader->value, (uint8_t)reader->text[reader->at++]);
        }
        fine = reader->value.size > 0;
    }
    buffer_add_u8(&reader->value, 0);
    return fine;
}

/* The next name and value. False at the end, or (*wrong) where the file cannot be understood;
 * reader->line says where. */
static bool
read_next(struct reader *reader, bool *wrong)
{
    *wrong = false;
    while (reader->at < reader->size) {
        reader->line++;
        skip_blanks(reader);
        if (at_line_end(reader)) {
            skip_line(reader);
            continue;
        }
        bool fine = read_name(reader);
        skip_blanks(reader);
        if (reader->at < reader->size && reader->text[reader->at] == '=') {
            reader->at++;
            skip_blanks(reader);
        }
        fine = fine && read_value(reader);
        skip_blanks(reader);
        *wrong = !fine || !at_line_end(reader);
        skip_line(reader);
        return !*wrong;
    }
    return false;
}

void
config__paths(const char *directory, char **main_path, char **auto_path)
{
    char path[PATH_SIZE_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", directory, main_file);
    *main_path = mem_strdup(path);
    (void)snprintf(path, sizeof path, "%s/%s", directory, auto_file);
    *auto_path = mem_strdup(path);
}

static enum err
load_file(struct task *task, const char *directory, const char *name, enum config_source source,
    struct sql_config *config, struct diag *diag)
{
    char path[PATH_SIZE_MAX];
    struct buffer bytes = {0};
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    enum err err = world_file_exists(task, path)
                       ? world_file_read_all(task, path, FILE_SIZE_MAX, &bytes, diag)
                       : ERR_OK;
    struct reader reader = {.text = (const char *)bytes.data, .size = bytes.size};
    bool wrong = false;
    while (err == ERR_OK && read_next(&reader, &wrong)) {
        err = set(
            task, config, reader.name, (const char *)reader.value.data, source, reader.line, diag);
        if (err != ERR_OK) {
            char words[sizeof diag->message];
            (void)snprintf(words, sizeof words, "%s", diag->message);
            err = diag_set(diag, ERR_CONFIG_FILE, "%s", words);
            diag_detail(diag, "This stands in file \"%s\", line %u.", path, reader.line);
        }
    }
    if (err == ERR_OK && wrong) {
        err = diag_set(
            diag, ERR_CONFIG_FILE, "syntax error in file \"%s\" line %u", path, reader.line);
        diag_hint(diag,
            "A line is empty, a comment (#), or: name = value, with quotes '...' around "
            "a value that has blanks.");
    }
    buffer_destroy(&reader.value);
    buffer_destroy(&bytes);
    return err;
}

enum err
sql_config_load(struct task *task, const char *directory, const char *const *arguments,
    uint32_t argument_count, struct sql_config **config_out, struct diag *diag)
{
    struct sql_config *config = sql_config_new();
    enum err err = load_file(task, directory, main_file, CONFIG_FILE, config, diag);
    if (err == ERR_OK) {
        err = load_file(task, directory, auto_file, CONFIG_AUTO_FILE, config, diag);
    }
    for (uint32_t i = 0; i < argument_count && err == ERR_OK; i++) {
        const char *equals = strchr(arguments[i], '=');
        char name[128];
        if (equals == NULL || (size_t)(equals - arguments[i]) >= sizeof name) {
            err = diag_set(
                diag, ERR_SYNTAX, "invalid argument \"%s\": name=value is needed", arguments[i]);
            break;
        }
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - arguments[i]), arguments[i]);
        err = set(task, config, name, equals + 1, CONFIG_COMMAND_LINE, 0, diag);
    }
    if (err != ERR_OK) {
        sql_config_release(config);
        return err;
    }
    *config_out = config;
    return ERR_OK;
}

/* ---- tusk.conf ------------------------------------------------------------------------------- */

/* A value as it may stand in a file. */
static void
add_value(struct buffer *to, const struct setting *setting, const char *value)
{
    bool plain = setting->type != SETTING_TEXT && strchr(value, ' ') == NULL;
    buffer_add_text(to, plain ? "" : "'");
    for (const char *at = value; *at != '\0'; at++) {
        buffer_add_u8(to, (uint8_t)*at);
        if (!plain && (*at == '\'' || *at == '\\')) {
            buffer_add_u8(to, (uint8_t)*at);
        }
    }
    buffer_add_text(to, plain ? "" : "'");
}

/* "# " and the words, in lines of a hundred columns. */
static void
add_comment(struct buffer *to, const char *words)
{
    enum {
        WIDTH = 98
    };
    while (*words != '\0') {
        size_t size = strlen(words);
        if (size > WIDTH) {
            for (size = WIDTH; size > 0 && words[size] != ' '; size--) {
            }
            size = size == 0 ? WIDTH : size;
        }
        buffer_add_text(to, "# ");
        buffer_add(to, words, size);
        buffer_add_u8(to, '\n');
        words += size;
        words += *words == ' ';
    }
}

static void
add_setting(struct buffer *to, const struct setting *setting)
{
    char value[256];
    add_comment(to, setting->description);
    if (setting->choices != NULL) {
        buffer_add_text(to, "# One of: ");
        for (const char *at = setting->choices; *at != '\0'; at++) {
            buffer_add_text(to, *at == '|' ? ", " : (char[]){*at, '\0'});
        }
        buffer_add_text(to, ".\n");
    }
    if ((setting->flags & SETTING_SERVER) != 0) {
        buffer_add_text(to, "# A change needs a restart.\n");
    }
    setting_with_unit(setting, setting->initial, value, sizeof value);
    buffer_printf(to, "#%s = ", setting->name);
    add_value(to, setting, value);
    buffer_add_text(to, "\n\n");
}

enum err
sql_config_write_default(struct task *task, const char *directory, struct diag *diag)
{
    char path[PATH_SIZE_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", directory, main_file);
    if (world_file_exists(task, path)) {
        return ERR_OK;
    }
    struct buffer bytes = {0};
    buffer_add_text(&bytes,
        "# The settings of this Tusk server. What is in comments are the built-in values.\n"
        "#\n"
        "# tuskd reads this file when it starts, and again on SIGHUP or SELECT pg_reload_conf().\n"
        "# tusk.auto.conf beside it is ALTER SYSTEM's and counts more; the command line\n"
        "# (-c name=value) counts most. Sizes take kB, MB, GB, TB; times ms, s, min, h, d.\n\n");
    for (int of_router = 0; of_router < 2; of_router++) {
        if (of_router) {
            buffer_add_text(&bytes, "# Of tusk-router; tuskd does not look at them.\n\n");
        }
        for (int i = 0; i < setting_count; i++) {
            const struct setting *setting = &setting_table[i];
            bool idle = strncmp(setting->description, "Has no effect", 13) == 0;
            bool routers = (setting->flags & SETTING_ROUTER) != 0;
            if ((setting->flags & (SETTING_READ_ONLY | SETTING_SESSION)) == 0 && !idle &&
                routers == (of_router == 1)) {
                add_setting(&bytes, setting);
            }
        }
    }
    enum err err = world_file_replace(task, directory, main_file, bytes.data, bytes.size, diag);
    buffer_destroy(&bytes);
    return err;
}

enum err
config__alter(struct task *task, const char *directory, const char *name, const char *value,
    struct diag *diag)
{
    struct sql_config *config = sql_config_new();
    enum err err = load_file(task, directory, auto_file, CONFIG_AUTO_FILE, config, diag);
    int index = name == NULL ? 0 : setting_find(name);
    ASSERT(index >= 0);
    for (int i = 0; i < setting_count; i++) {
        if (name == NULL || i == index) {
            mem_free(config->values[i].text);
            config->values[i].text = NULL;
        }
    }
    if (name != NULL && value != NULL) {
        config->values[index].text = mem_strdup(value);
    }
    struct buffer bytes = {0};
    buffer_add_text(&bytes, "# ALTER SYSTEM writes this file; what is changed by hand is lost.\n");
    for (int i = 0; i < setting_count; i++) {
        if (config->values[i].text != NULL) {
            buffer_printf(&bytes, "%s = ", setting_table[i].name);
            add_value(&bytes, &setting_table[i], config->values[i].text);
            buffer_add_u8(&bytes, '\n');
        }
    }
    if (err == ERR_OK) {
        err = world_file_replace(task, directory, auto_file, bytes.data, bytes.size, diag);
    }
    buffer_destroy(&bytes);
    sql_config_release(config);
    return err;
}
