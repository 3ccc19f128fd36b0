/* sql/session/config_internal.h - a configuration as sessions see it. */
#ifndef SQL_SESSION_CONFIG_INTERNAL_H
#define SQL_SESSION_CONFIG_INTERNAL_H

#include "sql/session/config.h"

enum config_source {
    CONFIG_DEFAULT,
    CONFIG_FILE,
    CONFIG_AUTO_FILE,
    CONFIG_COMMAND_LINE,
};

struct config_value {
    char *text; /* NULL: the built-in value */
    enum config_source source;
    uint32_t line;
};

struct sql_config {
    _Atomic uint32_t references;
    struct config_value values[]; /* by index of the setting */
};

/* What it is without SET. */
const char *config__value(const struct sql_config *config, int index);
/* The paths of the two files, on the heap. */
void config__paths(const char *directory, char **main_path, char **auto_path);
/* ALTER SYSTEM: rewrites DIR/tusk.auto.conf. name NULL: all; value NULL: without it. The value has
 * been checked. Sleeps. */
enum err config__alter(struct task *task, const char *directory, const char *name,
    const char *value, struct diag *diag);

#endif /* SQL_SESSION_CONFIG_INTERNAL_H */
