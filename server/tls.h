/* server/tls.h - certificate and key, as the settings name them. */
#ifndef SERVER_TLS_H
#define SERVER_TLS_H

#include "sql/session/config.h"
#include "world/tls.h"

/* What encrypted connections are made with; NULL where the setting ssl is off. ERR_CONFIG_FILE, or
 * what is wrong with a file. */
enum err server_tls_load(struct task *task, const char *directory, const struct sql_config *config,
    struct world_tls **tls, struct diag *diag);

#endif /* SERVER_TLS_H */
