/*
 * sql/session/settings.c - SET, SHOW, RESET.
 *
 * A table of the settings that mean something here, or that clients set without asking; each with
 * its type, bounds and effect. Changes are remembered in a list until the transaction ends: rolling
 * back walks it, and so does commit for SET LOCAL.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/catalog/access.h"
#include "sql/session/session_internal.h"
#include "sql/session/setting_table.h"

static struct setting_custom *
find_custom(const struct sql_session *session, const char *name)
{
    struct setting_custom *custom = session->customs;
    while (custom != NULL && strcasecmp(custom->name, name) != 0) {
        custom = custom->next;
    }
    return custom;
}

/* ---- reading ----------------------------------------------------------------------------- */

static const char *
isolation_name(enum txn_isolation isolation)
{
    return isolation == TXN_SERIALIZABLE      ? "serializable"
           : isolation == TXN_REPEATABLE_READ ? "repeatable read"
                                              : "read committed";
}

static const char *
value_at(const struct sql_session *session, int index)
{
    const char *name = setting_table[index].name;
    if (session->txn != NULL && txn_state(session->txn) == TXN_ACTIVE) {
        if (strcmp(name, "transaction_isolation") == 0) {
            return session->read_uncommitted ? "read uncommitted"
                                             : isolation_name(txn_isolation(session->txn));
        }
        if (strcmp(name, "transaction_deferrable") == 0) {
            return session->deferrable ? "on" : "off";
        }
        if (strcmp(name, "transaction_read_only") == 0) {
            return txn_read_only(session->txn) ? "on" : "off";
        }
    }
    if (strcmp(name, "session_authorization") == 0 && session->values[index] == NULL) {
        return session->user;
    }
    if (strcmp(name, "data_directory") == 0) {
        return session->engine->directory;
    }
    if (strcmp(name, "config_file") == 0) {
        return session->engine->config_file;
    }
    return session->values[index] != NULL ? session->values[index]
                                          : config__value(session->config, index);
}

const char *
settings__value(const struct sql_session *session, const char *name)
{
    int index = setting_find(name);
    if (index >= 0) {
        return value_at(session, index);
    }
    const struct setting_custom *custom = find_custom(session, name);
    return custom == NULL ? NULL : custom->value;
}

static const char *
with_unit(struct sql_session *session, int index)
{
    char text[64];
    const struct setting *setting = &setting_table[index];
    const char *value = value_at(session, index);
    if (setting->unit == UNIT_NONE) {
        return value;
    }
    setting_with_unit(setting, value, text, sizeof text);
    return arena_strdup(&session->statement, text);
}

const char *
settings__get(struct sql_session *session, const char *name, struct diag *diag)
{
    int index = setting_find(name);
    if (index >= 0) {
        return with_unit(session, index);
    }
    const struct setting_custom *custom = find_custom(session, name);
    if (custom == NULL) {
        (void)setting_unknown(name, diag);
        return NULL;
    }
    return custom->value;
}

void
settings__each(struct sql_session *session,
    void (*each)(void *arg, const char *name, const char *value, const char *description),
    void *arg)
{
    for (int i = 0; i < setting_count; i++) {
        each(arg, setting_table[i].name, with_unit(session, i), setting_table[i].description);
    }
}

static struct datum
text_or_null(const char *text)
{
    return text == NULL ? datum_null() : datum_bytes(text, strlen(text));
}

/* "a|b" as the array {a,b}. */
static struct datum
choices_array(struct arena *arena, const char *choices)
{
    enum {
        CHOICES_MAX = 16,
    };
    struct datum items[CHOICES_MAX];
    uint32_t count = 0;
    for (const char *at = choices; at != NULL && *at != '\0'; at += *at == '|' ? 1 : 0) {
        size_t size = strcspn(at, "|");
        ASSERT(count < CHOICES_MAX);
        items[count++] = datum_bytes(at, size);
        at += size;
    }
    return choices == NULL ? datum_null() : array_make(arena, TYPE_TEXT, false, items, count);
}

static struct datum
limit_text(struct arena *arena, const struct setting *setting, int64_t limit)
{
    return setting->type != SETTING_INT && setting->type != SETTING_REAL
               ? datum_null()
               : text_or_null(arena_printf(arena, "%lld", (long long)limit));
}

enum err
settings__scan(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    (void)catalog;
    static const char *const types[] = {"bool", "integer", "string", "enum", "real"};
    static const char *const units[] = {NULL, "ms", "kB"};
    static const char *const sources[] = {
        "default", "configuration file", "configuration file", "command line"};
    const struct sql_session *session = eval->env->session;
    for (int i = 0; session != NULL && i < setting_count; i++) {
        const struct setting *setting = &setting_table[i];
        const struct config_value *from = &session->config->values[i];
        bool in_file = from->source == CONFIG_FILE || from->source == CONFIG_AUTO_FILE;
        const char *file = from->source == CONFIG_FILE ? session->engine->config_file
                                                       : session->engine->auto_config_file;
        const struct datum values[] = {
            text_or_null(setting->name),
            text_or_null(arena_strdup(eval->arena, value_at(session, i))),
            text_or_null(units[setting->unit]),
            text_or_null("Tusk"),
            text_or_null(setting->description),
            datum_null(),
            text_or_null((setting->flags & SETTING_READ_ONLY) != 0 ? "internal"
                         : (setting->flags & SETTING_SERVER) != 0  ? "postmaster"
                         : (setting->flags & SETTING_RELOAD) != 0  ? "sighup"
                                                                   : "user"),
            text_or_null(types[setting->type]),
            text_or_null(session->values[i] != NULL ? "session" : sources[from->source]),
            limit_text(eval->arena, setting, setting->min),
            limit_text(eval->arena, setting, setting->max),
            choices_array(eval->arena, setting->choices),
            text_or_null(setting->initial),
            text_or_null(config__value(session->config, i)),
            in_file ? text_or_null(file) : datum_null(),
            in_file ? datum_int(from->line) : datum_null(),
            datum_bool(false),
        };
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

void
sql_session_report_settings(struct sql_session *session)
{
    for (int i = 0; i < setting_count; i++) {
        if ((setting_table[i].flags & SETTING_REPORT) != 0) {
            session->sink->parameter_status(
                session->sink->arg, setting_table[i].name, value_at(session, i));
        }
    }
}

/* ---- effects
 * ------------------------------------------------------------------------------------- */

static void
free_path(struct sql_session *session)
{
    for (char **at = session->search_path; at != NULL && *at != NULL; at++) {
        mem_free(*at);
    }
    mem_free(session->search_path);
    session->search_path = NULL;
}

/* a, "B c", "$user": names in order, folded to lower case outside quotes. */
static void
set_path(struct sql_session *session, const char *value)
{
    free_path(session);
    session->path_generation++;
    size_t room = 3;
    for (const char *at = value; *at != '\0'; at++) {
        room += *at == ',';
    }
    session->search_path = mem_zalloc(room * sizeof *session->search_path);
    session->env.search_path = (const char *const *)session->search_path;
    size_t count = 0;
    char temporary[32];
    (void)snprintf(temporary, sizeof temporary, "pg_temp_%u", session->pid);
    session->search_path[count++] = mem_strdup(temporary);
    char *name = mem_alloc(strlen(value) + 1);
    for (const char *at = value; *at != '\0';) {
        size_t size = 0;
        for (bool inside = false; *at != '\0' && (inside || *at != ','); at++) {
            if (*at == '"') {
                inside = !inside;
            } else if (inside || *at != ' ') {
                name[size++] = inside ? *at : (char)tolower((unsigned char)*at);
            }
        }
        name[size] = '\0';
        at += *at == ',';
        if (size > 0 && strcmp(name, "pg_temp") != 0) {
            session->search_path[count++] =
                mem_strdup(strcmp(name, "$user") == 0 ? session->env.user : name);
        }
    }
    mem_free(name);
}

/* Who the session is, by the settings role and session_authorization. */
static void
set_user(struct sql_session *session)
{
    const char *role = value_at(session, setting_find("role"));
    session->env.session_user = value_at(session, setting_find("session_authorization"));
    session->env.user = strcmp(role, "none") == 0 ? session->env.session_user : role;
    set_path(
        session, value_at(session, setting_find("search_path"))); /* "$user"; plans are made anew */
}

void
settings__identify(struct sql_session *session)
{
    set_user(session);
}

static void
apply(struct sql_session *session, int index)
{
    const char *name = setting_table[index].name;
    const char *value = value_at(session, index);
    if (strcmp(name, "role") == 0 || strcmp(name, "session_authorization") == 0) {
        set_user(session);
        return;
    }
    int64_t number = setting_table[index].type == SETTING_INT ? strtoll(value, NULL, 10) : 0;
    if (strcmp(name, "statement_timeout") == 0) {
        session->statement_timeout_us = number * 1000;
    } else if (strcmp(name, "lock_timeout") == 0) {
        session->lock_timeout_us = number * 1000;
        if (session->txn != NULL) {
            txn_set_lock_timeout(session->txn, session->lock_timeout_us);
        }
    } else if (strcmp(name, "idle_in_transaction_session_timeout") == 0) {
        session->idle_in_transaction_us = number * 1000;
    } else if (strcmp(name, "idle_session_timeout") == 0) {
        session->idle_session_us = number * 1000;
    } else if (strcmp(name, "log_min_duration_statement") == 0) {
        session->log_statement_us = number * 1000;
    } else if (strcmp(name, "work_mem") == 0) {
        session->work_mem = (uint64_t)number * 1024;
    } else if (strcmp(name, "maintenance_work_mem") == 0) {
        session->maintenance_work_mem = (uint64_t)number * 1024;
    } else if (strcmp(name, "hash_mem_multiplier") == 0) {
        session->hash_mem_multiplier = strtod(value, NULL);
    } else if (strcmp(name, "temp_file_limit") == 0) {
        session->spill_space.limit = number < 0 ? UINT64_MAX : (uint64_t)number * 1024;
    } else if (strcmp(name, "debug_work_mem_bytes") == 0) {
        session->debug_work_mem = number;
    } else if (strcmp(name, "tusk.route") == 0) {
        struct diag unused; /* it was checked */
        (void)route__set_text(session, value, &unused);
    } else if (strcmp(name, "tusk.report_commit_token") == 0) {
        session->report_commit_token = strcmp(value, "on") == 0;
    } else if (strcmp(name, "tusk.replicated_alone") == 0) {
        session->replicated_alone = strcmp(value, "on") == 0;
    } else if (strcmp(name, "TimeZone") == 0) {
        session->cache_stale = true;
        session->env.time_zone = value;
    } else if (strcmp(name, "search_path") == 0) {
        set_path(session, value);
    } else if (strcmp(name, "application_name") == 0) {
        session->env.application_name = value;
        latch_acquire(&session->engine->latch);
        (void)snprintf(session->application_name, sizeof session->application_name, "%s", value);
        latch_release(&session->engine->latch);
    } else if (strcmp(name, "extra_float_digits") == 0) {
        session->cache_stale = true;
        session->env.extra_float_digits = (int32_t)number;
    } else if (strcmp(name, "bytea_output") == 0) {
        session->cache_stale = true;
        session->env.bytea_escape = strcmp(value, "escape") == 0;
    } else if (strcmp(name, "DateStyle") == 0) {
        session->cache_stale = true;
        session->env.date_style_order = strstr(value, "DMY") != NULL   ? 1
                                        : strstr(value, "YMD") != NULL ? 2
                                                                       : 0;
        session->env.date_style = strncmp(value, "SQL", 3) == 0        ? DATE_STYLE_SQL
                                  : strncmp(value, "Postgres", 8) == 0 ? DATE_STYLE_POSTGRES
                                  : strncmp(value, "German", 6) == 0   ? DATE_STYLE_GERMAN
                                                                       : DATE_STYLE_ISO;
    } else if (strcmp(name, "IntervalStyle") == 0) {
        session->cache_stale = true;
        session->env.interval_style = strcmp(value, "postgres_verbose") == 0
                                          ? INTERVAL_STYLE_VERBOSE
                                      : strcmp(value, "sql_standard") == 0 ? INTERVAL_STYLE_SQL
                                      : strcmp(value, "iso_8601") == 0     ? INTERVAL_STYLE_ISO
                                                                       : INTERVAL_STYLE_POSTGRES;
    } else if (strcmp(name, "tusk.saga_reads") == 0) {
        session->settled_reads = strcmp(value, "settled") == 0;
    } else if (strcmp(name, "tusk.idempotency_key") == 0) {
        session->idempotency_key = session->relayed ? "" : value;
    } else if (strcmp(name, "client_min_messages") == 0) {
        session->notice_level = strcmp(value, "warning") == 0 ? 1
                                : strcmp(value, "error") == 0 ? 2
                                                              : 0;
    }
}

/* A reported setting is about to change: the client hears of it with the next ReadyForQuery, if it
 * then differs from what it was last told. */
static void
note_change(struct sql_session *session, int index)
{
    for (struct setting_told *at = session->untold; at != NULL; at = at->next) {
        if (at->index == index) {
            return;
        }
    }
    struct setting_told *change = mem_zalloc(sizeof *change);
    change->index = index;
    change->told = mem_strdup(value_at(session, index));
    change->next = session->untold;
    session->untold = change;
}

void
sql_session_report_changes(struct sql_session *session)
{
    while (session->untold != NULL) {
        struct setting_told *change = session->untold;
        session->untold = change->next;
        const char *value = value_at(session, change->index);
        if (strcmp(change->told, value) != 0) {
            session->sink->parameter_status(
                session->sink->arg, setting_table[change->index].name, value);
        }
        mem_free(change->told);
        mem_free(change);
    }
    route__answered(session);
}

static void
put(struct sql_session *session, int index, char *value)
{
    session->settings_generation++;
    if ((setting_table[index].flags & SETTING_REPORT) != 0) {
        note_change(session, index);
    }
    mem_free(session->values[index]);
    session->values[index] = value;
    apply(session, index);
}

const char *
sql_session_setting(const struct sql_session *session, const char *name)
{
    return settings__value(session, name);
}

uint32_t
sql_session_settings_generation(const struct sql_session *session)
{
    return session->settings_generation;
}

/* A list is quoted already; but an element that is empty ("") can be said as a string only. */
static void
put_list(struct buffer *to, const char *value)
{
    bool quoted = false;
    for (const char *at = value; *at != '\0'; at++) {
        bool begins = at == value || at[-1] == ' ' || at[-1] == ',';
        if (!quoted && begins && at[0] == '"' && at[1] == '"' && at[2] != '"') {
            buffer_add_text(to, "''");
            at++;
            continue;
        }
        quoted = quoted != (*at == '"');
        buffer_add_u8(to, (uint8_t)*at);
    }
}

static void
put_setting(struct buffer *to, const char *set, const char *name, const char *value)
{
    buffer_printf(to, "%s %s = ", set, name);
    if (strcmp(name, "search_path") == 0 && value[0] != '\0') {
        put_list(to, value);
        buffer_add_text(to, ";\n");
        return;
    }
    buffer_add_u8(to, '\'');
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\'') {
            buffer_add_u8(to, '\'');
        }
        buffer_add_u8(to, (uint8_t)*at);
    }
    buffer_add_text(to, "';\n");
}

void
sql_session_settings_put(const struct sql_session *session, struct buffer *to)
{
    for (int i = 0; i < setting_count; i++) {
        const char *name = setting_table[i].name;
        bool kept = strncmp(name, "transaction_", 12) != 0 && strcmp(name, "client_encoding") != 0;
        if (session->values[i] != NULL && kept &&
            (setting_table[i].flags & SETTING_READ_ONLY) == 0) {
            put_setting(to, "SET", name, session->values[i]);
        }
    }
    for (const struct setting_custom *at = session->customs; at != NULL; at = at->next) {
        if (at->value[0] != '\0') {
            put_setting(to, "SET", at->name, at->value);
        }
    }
}

void
sql_session_setting_put_local(
    const struct sql_session *session, const char *name, struct buffer *to)
{
    put_setting(to, "SET LOCAL", name, sql_session_setting(session, name));
}

static void
put_custom(struct sql_session *session, const char *name, char *value)
{
    session->settings_generation++;
    struct setting_custom *custom = find_custom(session, name);
    if (custom == NULL && value != NULL) {
        custom = mem_zalloc(sizeof *custom);
        custom->name = mem_strdup(name);
        custom->next = session->customs;
        session->customs = custom;
    }
    if (custom != NULL) {
        mem_free(custom->value);
        custom->value = value != NULL ? value : mem_strdup("");
    }
}

/* ---- changing
 * ---------------------------------------------------------------------------------------- */

static void
remember(struct sql_session *session, int index, const char *name, bool local)
{
    struct setting_change *change = mem_zalloc(sizeof *change);
    change->index = index >= 0 ? (uint32_t)index : UINT32_MAX;
    change->local = local;
    change->savepoints = session->savepoint_count;
    const char *before = NULL;
    if (index >= 0) {
        before = session->values[index];
    } else {
        change->name = mem_strdup(name);
        const struct setting_custom *custom = find_custom(session, name);
        before = custom == NULL ? NULL : custom->value;
    }
    change->before = before == NULL ? NULL : mem_strdup(before);
    change->older = session->changes;
    session->changes = change;
}

/* value NULL: back to the default. */
/* May the session become this role? A transaction is active. */
static enum err
check_role(struct sql_session *session, const char *setting, const char *name, struct diag *diag)
{
    bool whole = strcmp(setting, "session_authorization") == 0;
    if (!whole && strcmp(name, "none") == 0) {
        return ERR_OK;
    }
    struct catalog *catalog = NULL;
    TRY(catalog_get(session->task, session->engine->catalogs, session->txn, &catalog, diag));
    const struct role *role = catalog_role(catalog, name);
    const struct role *own =
        catalog_role(catalog, whole ? session->user : session->env.session_user);
    enum err err = ERR_OK;
    if (role == NULL) {
        err = diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "role \"%s\" does not exist", name);
    } else if (own == NULL || (whole ? !own->superuser && own->oid != role->oid
                                     : !catalog_role_is(catalog, own->oid, role->oid, false))) {
        err = diag_set(diag, ERR_INSUFFICIENT_PRIVILEGE,
            whole ? "permission denied to set session authorization \"%s\""
                  : "permission denied to set role \"%s\"",
            name);
    }
    catalog_release(catalog);
    return err;
}

static enum err
change(
    struct sql_session *session, const char *name, const char *value, bool local, struct diag *diag)
{
    int index = setting_find(name);
    if (index == SETTING_UNKNOWN) {
        return setting_unknown(name, diag);
    }
    char *checked = NULL;
    if (index >= 0) {
        const struct setting *setting = &setting_table[index];
        if ((setting->flags & SETTING_READ_ONLY) != 0) {
            return diag_set(diag, ERR_CANT_CHANGE_PARAMETER, "parameter \"%s\" cannot be changed",
                setting->name);
        }
        if ((setting->flags & (SETTING_SERVER | SETTING_RELOAD)) != 0) {
            return diag_set(diag, ERR_CANT_CHANGE_PARAMETER,
                (setting->flags & SETTING_SERVER) != 0
                    ? "parameter \"%s\" cannot be changed without restarting the server"
                    : "parameter \"%s\" cannot be changed now",
                setting->name);
        }
        value = value == NULL ? session->initial[index] : value; /* RESET */
        if (value != NULL) {
            TRY(setting_check(
                session->task, setting, value, session->values[index], &checked, diag));
        }
        if (strcmp(setting->name, "tusk.idempotency_key") == 0) {
            enum err err = idempotency__may_set(session, checked, diag);
            if (err != ERR_OK) {
                mem_free(checked);
                return err;
            }
        }
        bool whole = strcmp(setting->name, "session_authorization") == 0;
        if (whole || strcmp(setting->name, "role") == 0) {
            enum err err =
                checked == NULL ? ERR_OK : check_role(session, setting->name, checked, diag);
            if (err != ERR_OK) {
                mem_free(checked);
                return err;
            }
            if (whole) { /* its roles are others */
                TRY(change(session, "role", NULL, local, diag));
            }
        }
        if (strcmp(setting->name, "transaction_isolation") == 0) {
            enum err err =
                session__set_isolation(session, checked == NULL ? "read committed" : checked, diag);
            mem_free(checked);
            return err;
        }
        if (strcmp(setting->name, "transaction_deferrable") == 0) {
            session->deferrable = checked != NULL && strcmp(checked, "on") == 0;
            mem_free(checked);
            return ERR_OK;
        }
        if (strcmp(setting->name, "transaction_read_only") == 0) {
            bool read_only = checked != NULL && strcmp(checked, "on") == 0;
            mem_free(checked);
            return session__set_read_only(session, read_only, diag);
        }
    } else if (value != NULL) {
        checked = mem_strdup(value);
    }
    remember(session, index, name, local);
    if (index >= 0) {
        put(session, index, checked);
    } else {
        put_custom(session, name, checked);
    }
    return ERR_OK;
}

enum err
settings__set_value(
    struct sql_session *session, const char *name, const char *value, bool local, struct diag *diag)
{
    return change(session, name, value, local, diag);
}

static const char *
join_values(struct sql_session *session, const char *name, const struct ast_list *values)
{
    const char *joined = "";
    bool names = strcasecmp(name, "search_path") == 0; /* each element is an identifier */
    AST_FOREACH(at, values)
    {
        const struct ast_node *node = *at;
        if (node->kind == AST_CAST) { /* interval '1' hour to minute: its text */
            node = ast_as_cast(node)->operand;
        }
        if (node->kind != AST_CONST) {
            continue;
        }
        const struct ast_const *constant = ast_as_const(node);
        const char *text = constant->kind == AST_CONST_BOOL ? (constant->boolean ? "on" : "off")
                           : constant->text == NULL         ? ""
                                                            : constant->text;
        if (names) {
            text = parser_quote_ident(&session->statement, text);
        }
        joined =
            joined[0] == '\0' ? text : arena_printf(&session->statement, "%s, %s", joined, text);
    }
    return joined;
}

enum err
settings__set(struct sql_session *session, const struct ast_set *statement, struct diag *diag)
{
    switch (statement->kind) {
    case AST_SET_VALUE:
        return change(session, statement->name,
            join_values(session, statement->name, statement->values), statement->local, diag);
    case AST_SET_DEFAULT:
    case AST_SET_RESET:
        return change(session, statement->name, NULL, statement->local, diag);
    case AST_SET_RESET_ALL:
        return settings__reset_all(session, diag);
    case AST_SET_FROM_CURRENT:
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "SET ... FROM CURRENT is not supported");
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

enum err
settings__reset_all(struct sql_session *session, struct diag *diag)
{
    for (int i = 0; i < setting_count; i++) {
        if (session->values[i] != NULL && strcmp(setting_table[i].name, "role") != 0 &&
            strcmp(setting_table[i].name, "session_authorization") != 0 &&
            (setting_table[i].flags & (SETTING_READ_ONLY | SETTING_SERVER | SETTING_RELOAD)) == 0) {
            TRY(change(session, setting_table[i].name, NULL, false, diag));
        }
    }
    return ERR_OK;
}

/* The next word, or NULL; a backslash takes the character behind it as it is (pg_split_opts). */
static char *
next_option(char **rest)
{
    char *from = *rest + strspn(*rest, " \t\n\r\f\v");
    if (*from == '\0') {
        return NULL;
    }
    char *to = from;
    char *word = to;
    while (*from != '\0' && strchr(" \t\n\r\f\v", *from) == NULL) {
        from += from[0] == '\\' && from[1] != '\0';
        *to++ = *from++;
    }
    *rest = *from == '\0' ? from : from + 1;
    *to = '\0';
    return word;
}

/* -c name=value or --name=value, any number of them. */
static enum err
start_options(struct sql_session *session, char *text, struct diag *diag)
{
    char *word;
    while ((word = next_option(&text)) != NULL) {
        if (strcmp(word, "-c") == 0) {
            continue;
        }
        word += strncmp(word, "-c", 2) == 0 || strncmp(word, "--", 2) == 0 ? 2 : 0;
        char *equals = strchr(word, '=');
        if (equals == NULL) {
            return diag_set(
                diag, ERR_SYNTAX, "invalid command-line argument for server process: %s", word);
        }
        *equals = '\0';
        TRY(settings__start(session, word, equals + 1, diag));
    }
    return ERR_OK;
}

enum err
settings__start(struct sql_session *session, const char *name, const char *value, struct diag *diag)
{
    if (strcmp(name, "options") == 0) {
        return start_options(session, arena_strdup(&session->statement, value), diag);
    }
    int index = setting_find(name);
    if (index == SETTING_UNKNOWN) {
        return setting_unknown(name, diag);
    }
    if (index == SETTING_CUSTOM) {
        put_custom(session, name, mem_strdup(value));
        return ERR_OK;
    }
    if ((setting_table[index].flags & (SETTING_READ_ONLY | SETTING_SERVER | SETTING_RELOAD)) != 0 ||
        strcmp(setting_table[index].name, "session_authorization") == 0) {
        return diag_set(diag, ERR_CANT_CHANGE_PARAMETER, "parameter \"%s\" cannot be changed",
            setting_table[index].name);
    }
    if (strcmp(setting_table[index].name, "role") == 0) {
        TRY(check_role(session, "role", value, diag));
    }
    char *checked = NULL;
    TRY(setting_check(
        session->task, &setting_table[index], value, session->values[index], &checked, diag));
    mem_free(session->values[index]);
    mem_free(session->initial[index]);
    session->values[index] = checked;
    session->initial[index] = mem_strdup(checked);
    apply(session, index);
    return ERR_OK;
}

/* ---- the end of transactions
 * ----------------------------------------------------------------------- */

static void
undo(struct sql_session *session, struct setting_change *change)
{
    if (change->index != UINT32_MAX) {
        put(session, (int)change->index, change->before);
    } else {
        put_custom(session, change->name, change->before);
    }
    change->before = NULL;
}

static void
drop(struct setting_change *change)
{
    mem_free(change->name);
    mem_free(change->before);
    mem_free(change);
}

void
settings__commit(struct sql_session *session)
{
    /* SET LOCAL goes back to what was there before the transaction's first local change of it...
     * newest first, so that the oldest has the last word. */
    while (session->changes != NULL) {
        struct setting_change *change = session->changes;
        session->changes = change->older;
        if (change->local) {
            undo(session, change);
        }
        drop(change);
    }
}

void
settings__rollback(struct sql_session *session, uint32_t savepoints)
{
    while (session->changes != NULL && session->changes->savepoints >= savepoints) {
        struct setting_change *change = session->changes;
        session->changes = change->older;
        undo(session, change);
        drop(change);
    }
}

void
settings__release(struct sql_session *session, uint32_t savepoints)
{
    struct setting_change *change = session->changes;
    for (; change != NULL && change->savepoints > savepoints; change = change->older) {
        change->savepoints = savepoints;
    }
}

void
settings__create(struct sql_session *session)
{
    struct sql_engine *engine = session->engine;
    latch_acquire(&engine->latch);
    session->config = engine->config;
    session->config_version = engine->config_version;
    sql_config_retain(session->config);
    latch_release(&engine->latch);
    session->values = mem_array((size_t)setting_count, sizeof *session->values);
    session->initial = mem_array((size_t)setting_count, sizeof *session->initial);
    for (int i = 0; i < setting_count; i++) {
        apply(session, i);
    }
}

void
settings__refresh(struct sql_session *session)
{
    struct sql_engine *engine = session->engine;
    if (session->config_version == engine->config_version) {
        return;
    }
    struct sql_config *old = session->config;
    latch_acquire(&engine->latch);
    struct sql_config *config = engine->config;
    session->config_version = engine->config_version;
    sql_config_retain(config);
    latch_release(&engine->latch);
    for (int i = 0; i < setting_count; i++) {
        if (strcmp(config__value(old, i), config__value(config, i)) != 0 &&
            session->values[i] == NULL && (setting_table[i].flags & SETTING_REPORT) != 0) {
            note_change(session, i);
        }
    }
    session->config = config;
    for (int i = 0; i < setting_count; i++) {
        if (session->values[i] == NULL) {
            apply(session, i); /* all: some point into the old configuration */
        }
    }
    sql_config_release(old);
}

/* ALTER SYSTEM changes files only; pg_reload_conf() or SIGHUP reads them. */
enum err
settings__alter_system(
    struct sql_session *session, const struct ast_set *statement, struct diag *diag)
{
    const char *directory = session->engine->directory;
    if (statement->kind == AST_SET_RESET_ALL) {
        return config__alter(session->task, directory, NULL, NULL, diag);
    }
    if (statement->kind == AST_SET_FROM_CURRENT) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "SET ... FROM CURRENT is not supported");
    }
    int index = setting_find(statement->name);
    if (index < 0) {
        return setting_unknown(statement->name, diag);
    }
    const struct setting *setting = &setting_table[index];
    if ((setting->flags & (SETTING_READ_ONLY | SETTING_SESSION)) != 0) {
        return diag_set(
            diag, ERR_CANT_CHANGE_PARAMETER, "parameter \"%s\" cannot be changed", setting->name);
    }
    char *checked = NULL;
    if (statement->kind == AST_SET_VALUE) {
        TRY(setting_check(session->task, setting,
            join_values(session, statement->name, statement->values), NULL, &checked, diag));
    }
    enum err err = config__alter(session->task, directory, setting->name, checked, diag);
    mem_free(checked);
    return err;
}

void
settings__destroy(struct sql_session *session)
{
    for (int i = 0; i < setting_count; i++) {
        mem_free(session->values[i]);
        mem_free(session->initial[i]);
    }
    mem_free(session->values);
    mem_free(session->initial);
    sql_config_release(session->config);
    free_path(session);
    while (session->untold != NULL) {
        struct setting_told *told = session->untold;
        session->untold = told->next;
        mem_free(told->told);
        mem_free(told);
    }
    while (session->customs != NULL) {
        struct setting_custom *custom = session->customs;
        session->customs = custom->next;
        mem_free(custom->name);
        mem_free(custom->value);
        mem_free(custom);
    }
    while (session->changes != NULL) {
        struct setting_change *change = session->changes;
        session->changes = change->older;
        drop(change);
    }
}
