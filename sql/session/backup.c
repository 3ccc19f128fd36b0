/* sql/session/backup.c - tusk_backup(directory), and where the log stands. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sql/session/session_internal.h"

enum {
    NOTICE_US = 2000000,
};

struct told {
    struct sql_session *session;
    int64_t next_us;
};

static void
tell(void *arg, uint64_t done, uint64_t total)
{
    struct told *told = arg;
    struct world *world = told->session->engine->world;
    int64_t now = world_clock_us(world);
    if (now < told->next_us) {
        return;
    }
    told->next_us = now + NOTICE_US;
    session__warn(told->session, "NOTICE", ERR_WARNING,
        "backup: %.1f of about %.1f MB copied (%" PRIu64 " %%)", (double)done / 1e6,
        (double)total / 1e6, total == 0 ? 100 : done * 100 / total);
}

static enum err
check_superuser(struct eval *eval, struct sql_session *session)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(eval->task, session->engine->catalogs, session->txn, &catalog, eval->diag));
    const struct role *role = catalog_role(catalog, session->env.user);
    bool super = role != NULL && role->superuser;
    catalog_release(catalog);
    return super ? ERR_OK
                 : diag_set(eval->diag, ERR_INSUFFICIENT_PRIVILEGE,
                       "permission denied: only a superuser may make a backup");
}

static struct datum
lsn_text(struct eval *eval, lsn_t lsn)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIX64, lsn.v);
    const char *copy = arena_strdup(eval->arena, text);
    return datum_bytes(copy, strlen(copy));
}

static enum err
backup(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    (void)count;
    struct sql_session *session = eval->env->session;
    if (session == NULL) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session here");
    }
    TRY(check_superuser(eval, session));
    const char *directory = arena_strndup(eval->arena, (const char *)args[0].p, args[0].size);
    if (strlen(directory) != args[0].size || directory[0] != '/') {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "a directory is named by a path that begins with /");
    }
    struct told told = {
        .session = session, .next_us = world_clock_us(session->engine->world) + NOTICE_US};
    struct txn_backup made;
    TRY(txn_db_backup(eval->task, session->engine->db, directory, tell, &told, &made, eval->diag));
    *result = lsn_text(eval, made.end);
    return ERR_OK;
}

static enum err
current_lsn(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    (void)args;
    (void)count;
    struct sql_session *session = eval->env->session;
    if (session == NULL) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session here");
    }
    *result = lsn_text(eval, txn_db_visible_lsn(session->engine->db));
    return ERR_OK;
}

static const struct function functions[] = {
    {"tusk_backup", 0, TYPE_TEXT, 1, 1, FUNCTION_STRICT | FUNCTION_VOLATILE, {TYPE_TEXT}, backup,
        NULL, NULL},
    {"tusk_current_lsn", 0, TYPE_TEXT, 0, 0, FUNCTION_STRICT | FUNCTION_VOLATILE, {0}, current_lsn,
        NULL, NULL},
};

void
backup__register(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
}
