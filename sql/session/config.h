/*
 * sql/session/config.h - what settings are before anybody says SET.
 *
 * Built-in values, then DIR/tusk.conf, then DIR/tusk.auto.conf (ALTER SYSTEM writes it), then the
 * command line: the last one that names a setting counts. A struct sql_config never changes;
 * reading the files again makes another one. The files are written as PostgreSQL's: `name = value`,
 * # begins a comment, '...' quotes with '' for a quote (PostgreSQL: "Setting Parameters", 20.1).
 */
#ifndef SQL_SESSION_CONFIG_H
#define SQL_SESSION_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "world/world.h"

struct sql_config;

/* Only the built-in values. One reference is the caller's, here and below. */
struct sql_config *sql_config_new(void);
/* `arguments`: "name=value" each, from the command line. A file that is not there is empty. Sleeps.
 * ERR_CONFIG_FILE with file and line, or what is wrong with an argument. */
enum err sql_config_load(struct task *task, const char *directory, const char *const *arguments,
    uint32_t argument_count, struct sql_config **config, struct diag *diag);
void sql_config_retain(struct sql_config *config);
void sql_config_release(struct sql_config *config); /* NULL is fine */

/* The value of a setting that exists, as it is kept: numbers in the setting's unit (kB, ms). */
const char *sql_config_text(const struct sql_config *config, const char *name);
int64_t sql_config_integer(const struct sql_config *config, const char *name);

/* Writes DIR/tusk.conf with all settings in comments, unless it is there. Sleeps. */
enum err sql_config_write_default(struct task *task, const char *directory, struct diag *diag);

#endif /* SQL_SESSION_CONFIG_H */
