/*
 * shell/conninfo.h - connection strings, as libpq takes them where a database's name may stand.
 *
 * "host=x port=1 dbname='a b'" or postgresql://user:password@host:port/database?name=value. Pure.
 */
#ifndef SHELL_CONNINFO_H
#define SHELL_CONNINFO_H

#include <stdbool.h>

#include "shell/connection.h"

/* Is it one, rather than a database's name? */
bool conninfo_is(const char *text);
/* Put what it says into the connection. ERR_SYNTAX, ERR_INVALID_PARAMETER_VALUE. */
enum err conninfo_read(struct connection *connection, const char *text, struct diag *diag);
/* One option by libpq's name. ERR_UNDEFINED_OBJECT: there is no such option. */
enum err conninfo_set(
    struct connection *connection, const char *name, const char *value, struct diag *diag);

#endif /* SHELL_CONNINFO_H */
