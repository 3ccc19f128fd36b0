#include "shell/conninfo.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static enum err
set_mode(struct connection *connection, const char *value, struct diag *diag)
{
    if (!login_tls_mode(value, &connection->tls_mode)) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid sslmode value: \"%s\"", value);
    }
    return ERR_OK;
}

static enum err
set_port(struct connection *connection, const char *value, struct diag *diag)
{
    char *end = NULL;
    unsigned long port = strtoul(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end != '\0' || port == 0 || port > UINT16_MAX) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid port number: \"%s\"", value);
    }
    connection->port = (uint16_t)port;
    return ERR_OK;
}

enum err
conninfo_set(struct connection *connection, const char *name, const char *value, struct diag *diag)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } texts[] = {
        {"host", connection->host, sizeof connection->host},
        {"hostaddr", connection->host, sizeof connection->host},
        {"user", connection->user, sizeof connection->user},
        {"dbname", connection->database, sizeof connection->database},
        {"password", connection->password, sizeof connection->password},
        {"application_name", connection->application, sizeof connection->application},
        {"sslrootcert", connection->root_file, sizeof connection->root_file},
        {"sslcert", connection->certificate_file, sizeof connection->certificate_file},
        {"sslkey", connection->key_file, sizeof connection->key_file},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            if (strlen(value) >= texts[i].size) {
                return diag_set(
                    diag, ERR_INVALID_PARAMETER_VALUE, "%s is too long: \"%s\"", name, value);
            }
            memcpy(texts[i].to, value, strlen(value) + 1);
            return ERR_OK;
        }
    }
    if (strcmp(name, "port") == 0) {
        return set_port(connection, value, diag);
    }
    if (strcmp(name, "sslmode") == 0) {
        return set_mode(connection, value, diag);
    }
    return diag_set(diag, ERR_UNDEFINED_OBJECT, "invalid connection option \"%s\"", name);
}

bool
conninfo_is(const char *text)
{
    return strchr(text, '=') != NULL || strncmp(text, "postgresql://", 13) == 0 ||
           strncmp(text, "postgres://", 11) == 0;
}

/* ---- name=value ------------------------------------------------------------------------------ */

static const char *
skip_blanks(const char *at)
{
    while (isspace((unsigned char)*at)) {
        at++;
    }
    return at;
}

/* A value, with or without quotes; a backslash makes the next character plain. NULL: no end. */
static const char *
read_value(const char *at, char *to)
{
    bool quoted = *at == '\'';
    at += quoted ? 1 : 0;
    while (*at != '\0' && (quoted ? *at != '\'' : !isspace((unsigned char)*at))) {
        at += *at == '\\' && at[1] != '\0' ? 1 : 0;
        *to++ = *at++;
    }
    *to = '\0';
    if (quoted && *at != '\'') {
        return NULL;
    }
    return at + (quoted ? 1 : 0);
}

static enum err
read_pairs(
    struct connection *connection, const char *text, char *name, char *value, struct diag *diag)
{
    for (const char *at = skip_blanks(text); *at != '\0'; at = skip_blanks(at)) {
        size_t size = strcspn(at, "= \t\r\n");
        memcpy(name, at, size);
        name[size] = '\0';
        at = skip_blanks(at + size);
        if (*at != '=') {
            return diag_set(
                diag, ERR_SYNTAX, "missing \"=\" after \"%s\" in connection info string", name);
        }
        at = read_value(skip_blanks(at + 1), value);
        if (at == NULL) {
            return diag_set(
                diag, ERR_SYNTAX, "unterminated quoted string in connection info string");
        }
        TRY(conninfo_set(connection, name, value, diag));
    }
    return ERR_OK;
}

/* ---- a URI ----------------------------------------------------------------------------------- */

/* Up to one of `ends`, with %xx decoded. NULL: a bad %xx. */
static const char *
read_part(const char *at, const char *ends, char *to)
{
    while (*at != '\0' && strchr(ends, *at) == NULL) {
        if (*at != '%') {
            *to++ = *at++;
            continue;
        }
        if (!isxdigit((unsigned char)at[1]) || !isxdigit((unsigned char)at[2])) {
            return NULL;
        }
        char digits[3] = {at[1], at[2], '\0'};
        *to++ = (char)strtoul(digits, NULL, 16);
        at += 3;
    }
    *to = '\0';
    return at;
}

static enum err
bad_uri(const char *text, struct diag *diag)
{
    return diag_set(diag, ERR_SYNTAX, "this is not a connection URI: \"%s\"", text);
}

/* user[:password]@, if there is an @ before the host's end. */
static enum err
read_login(struct connection *connection, const char **at, char *value, const char *text,
    struct diag *diag)
{
    size_t size = strcspn(*at, "@/?");
    if ((*at)[size] != '@') {
        return ERR_OK;
    }
    const char *end = read_part(*at, ":@", value);
    if (end == NULL) {
        return bad_uri(text, diag);
    }
    TRY(conninfo_set(connection, "user", value, diag));
    if (*end == ':') {
        end = read_part(end + 1, "@", value);
        if (end == NULL) {
            return bad_uri(text, diag);
        }
        TRY(conninfo_set(connection, "password", value, diag));
    }
    *at = end + 1;
    return ERR_OK;
}

static enum err
read_host(struct connection *connection, const char **at, char *value, const char *text,
    struct diag *diag)
{
    bool address = **at == '['; /* IPv6 */
    const char *end = read_part(*at + (address ? 1 : 0), address ? "]" : ":/?", value);
    if (end == NULL || (address && *end != ']')) {
        return bad_uri(text, diag);
    }
    end += address ? 1 : 0;
    if (value[0] != '\0') {
        TRY(conninfo_set(connection, "host", value, diag));
    }
    if (*end == ':') {
        end = read_part(end + 1, "/?", value);
        if (end == NULL) {
            return bad_uri(text, diag);
        }
        TRY(conninfo_set(connection, "port", value, diag));
    }
    *at = end;
    return ERR_OK;
}

static enum err
read_uri(
    struct connection *connection, const char *text, char *name, char *value, struct diag *diag)
{
    const char *at = strstr(text, "://") + 3;
    TRY(read_login(connection, &at, value, text, diag));
    TRY(read_host(connection, &at, value, text, diag));
    if (*at == '/') {
        at = read_part(at + 1, "?", value);
        if (at == NULL) {
            return bad_uri(text, diag);
        }
        if (value[0] != '\0') {
            TRY(conninfo_set(connection, "dbname", value, diag));
        }
    }
    while (*at == '?' || *at == '&') {
        at = read_part(at + 1, "=&", name);
        if (at == NULL || *at != '=') {
            return bad_uri(text, diag);
        }
        at = read_part(at + 1, "&", value);
        if (at == NULL) {
            return bad_uri(text, diag);
        }
        TRY(conninfo_set(connection, name, value, diag));
    }
    return *at == '\0' ? ERR_OK : bad_uri(text, diag);
}

enum err
conninfo_read(struct connection *connection, const char *text, struct diag *diag)
{
    bool uri = strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0;
    char *name = mem_alloc(strlen(text) + 1); /* nothing in it is longer than all of it */
    char *value = mem_alloc(strlen(text) + 1);
    enum err err = uri ? read_uri(connection, text, name, value, diag)
                       : read_pairs(connection, text, name, value, diag);
    mem_free(name);
    mem_free(value);
    return err;
}
