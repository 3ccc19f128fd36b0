/* sql/session/engine.c - what all sessions share, and the life of one. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "shard/lease.h"
#include "sql/catalog/access.h"
#include "sql/catalog/buckets.h"
#include "sql/catalog/sequence.h"
#include "sql/ddl/ddl.h"
#include "sql/exec/derive.h"
#include "sql/exec/domain.h"
#include "sql/session/session_internal.h"
#include "sql/session/setting_table.h"

enum {
    CONNECTIONS_MAX = TXN_SESSIONS_MAX - 64, /* the server has some of its own */
};

/* Its database is open: the directory is locked, so what is left in DIR/tmp is nobody's. */
static enum err
open_rest(struct task *task, struct sql_engine *engine, const struct sql_engine_options *options,
    struct diag *diag)
{
    size_t size = strlen(options->directory) + sizeof "/tmp";
    engine->temp_directory = mem_alloc(size);
    (void)snprintf(engine->temp_directory, size, "%s/tmp", options->directory);
    config__paths(options->directory, &engine->config_file, &engine->auto_config_file);
    TRY(world_temp_directory(task, engine->temp_directory, diag));
    index_set_derivation(&exec_index_derivation);
    exec_register_domains();
    catalog_set_view_probe(plan_view_probe);
    TRY(catalog_open(task, engine->db, options->system_user, &engine->catalogs, diag));
    enum err err = temporary__clean(task, engine, diag);
    if (err == ERR_OK) {
        err = buckets_open(
            task, engine->catalogs, sql_config_text(engine->config, "cluster_node"), diag);
    }
    if (err == ERR_OK && !txn_db_has_checkpoint(engine->db)) {
        err = txn_db_checkpoint(task, engine->db, diag);
    }
    if (err == ERR_OK) {
        err = sql_config_write_default(task, engine->directory, diag);
    }
    if (err == ERR_OK) {
        err = analyze__start(task, engine, diag);
    }
    const char *control = sql_config_text(engine->config, "cluster_control");
    if (err == ERR_OK && control[0] != '\0' && buckets_node(engine->catalogs)[0] != '\0') {
        struct shard_lease_options lease = {
            .where = control,
            .node = buckets_node(engine->catalogs),
            .ttl_s = (unsigned)(sql_config_integer(engine->config, "cluster_lease") / 1000),
        };
        err = shard_lease_start(task, &lease, &engine->lease, diag);
        if (err != ERR_OK) {
            analyze__stop(task, engine);
        }
    }
    if (err != ERR_OK) {
        catalog_close(engine->catalogs);
    }
    return err;
}

static void
free_engine(struct sql_engine *engine)
{
    sql_config_release(engine->config);
    mem_free(engine->metrics);
    mem_free(engine->config_file);
    mem_free(engine->auto_config_file);
    mem_free(engine->temp_directory);
    mem_free(engine->directory);
    mem_free(engine);
}

enum err
sql_engine_open(struct task *task, const struct sql_engine_options *options,
    struct sql_engine **engine_out, struct diag *diag)
{
    struct sql_engine *engine = mem_zalloc(sizeof *engine);
    engine->world = task_world(task);
    engine->directory = mem_strdup(options->directory);
    engine->metrics = metrics__new(world_worker_count(engine->world));
    engine->config = options->config == NULL ? sql_config_new() : options->config;
    if (options->config != NULL) {
        sql_config_retain(engine->config);
    }
    engine->arguments = options->arguments;
    engine->argument_count = options->argument_count;
    engine->connections_max = (uint32_t)sql_config_integer(engine->config, "max_connections");
    engine->statement_memory_max =
        (uint64_t)sql_config_integer(engine->config, "max_statement_memory") * 1024;
    engine->statement_size_max =
        (uint64_t)sql_config_integer(engine->config, "max_statement_size") * 1024;
    engine->held_rows_max = (uint64_t)sql_config_integer(engine->config, "max_held_rows");
    if (engine->connections_max > CONNECTIONS_MAX) {
        uint32_t asked = engine->connections_max;
        free_engine(engine);
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "%u connections are more than the %u that can be served", asked, CONNECTIONS_MAX);
    }
    engine->next_pid = 1;
    engine->started = world_wall_us(engine->world) - EPOCH_US;
    engine->config_loaded = engine->started;
    engine->reloaded = options->reloaded;
    engine->reloaded_arg = options->reloaded_arg;
    list_init(&engine->sessions);
    views__register();
    routine__register();
    struct txn_db_options db = {
        .directory = options->directory,
        .cache_size = (uint64_t)sql_config_integer(engine->config, "shared_buffers") * 1024,
        .checkpoint_wal_size =
            options->checkpoint_wal_size != 0
                ? options->checkpoint_wal_size
                : (uint64_t)sql_config_integer(engine->config, "max_wal_size") * 1024,
        .checkpoint_interval_s =
            (uint32_t)(sql_config_integer(engine->config, "checkpoint_timeout") / 1000),
        .history_window_us = sql_config_text(engine->config, "cluster_node")[0] == '\0'
                                 ? 0
                                 : sql_config_integer(engine->config, "history_window") * 1000,
        .undo_memory = (uint64_t)sql_config_integer(engine->config, "undo_memory") * 1024,
        .undo_size_max = (uint64_t)sql_config_integer(engine->config, "undo_size_max") * 1024,
        .ssi_ranges_max = (uint32_t)sql_config_integer(engine->config, "serializable_ranges_max"),
        .ssi_committed_max =
            (uint32_t)sql_config_integer(engine->config, "serializable_transactions_max"),
        .ssi_stubs_max = (uint32_t)sql_config_integer(engine->config, "serializable_stubs_max"),
        .wal_segment_size = options->wal_segment_size,
        .checkpoint_automatic = true,
        .recovery_progress = options->recovery_progress,
        .archive_directory = sql_config_text(engine->config, "archive_directory"),
        .rebuild = ddl_rebuild_index,
        .rebuild_arg = (void *)(uintptr_t)options->directory,
    };
    enum err err = txn_db_open(task, &db, &engine->db, diag);
    if (err == ERR_OK) {
        err = open_rest(task, engine, options, diag);
        if (err != ERR_OK) {
            txn_db_close(task, engine->db);
        }
    }
    if (err != ERR_OK) {
        free_engine(engine);
        return err;
    }
    *engine_out = engine;
    return ERR_OK;
}

void
sql_engine_close(struct task *task, struct sql_engine *engine)
{
    ASSERT(engine->session_count == 0);
    if (engine->lease != NULL) {
        shard_lease_stop(task, engine->lease);
    }
    analyze__stop(task, engine);
    catalog_close(engine->catalogs);
    txn_db_close(task, engine->db);
    free_engine(engine);
}

/* Says which settings differ, and which of these wait for a restart. */
static void
log_changes(struct sql_engine *engine, const struct sql_config *old, const struct sql_config *new)
{
    for (int i = 0; i < setting_count; i++) {
        const char *before = config__value(old, i);
        const char *after = config__value(new, i);
        if (strcmp(before, after) == 0) {
            continue;
        }
        if ((setting_table[i].flags & SETTING_SERVER) != 0) {
            world_log(engine->world,
                "parameter \"%s\" cannot be changed without restarting the server",
                setting_table[i].name);
        } else {
            world_log(
                engine->world, "parameter \"%s\" changed to \"%s\"", setting_table[i].name, after);
        }
    }
}

enum err
sql_engine_reload(struct task *task, struct sql_engine *engine, struct diag *diag)
{
    struct sql_config *config = NULL;
    TRY(sql_config_load(
        task, engine->directory, engine->arguments, engine->argument_count, &config, diag));
    latch_acquire(&engine->latch);
    struct sql_config *old = engine->config;
    engine->config = config;
    engine->config_version++;
    engine->config_loaded = world_wall_us(engine->world) - EPOCH_US;
    sql_config_retain(config);
    latch_release(&engine->latch);
    log_changes(engine, old, config);
    sql_config_release(config);
    sql_config_release(old);
    return ERR_OK;
}

struct sql_config *
sql_engine_config(struct sql_engine *engine)
{
    latch_acquire(&engine->latch);
    struct sql_config *config = engine->config;
    sql_config_retain(config);
    latch_release(&engine->latch);
    return config;
}

enum err
sql_engine_checkpoint(struct task *task, struct sql_engine *engine, struct diag *diag)
{
    return txn_db_checkpoint(task, engine->db, diag);
}

void
sql_engine_cancel(struct sql_engine *engine, uint32_t pid, uint32_t secret)
{
    latch_acquire(&engine->latch);
    LIST_FOREACH (node, &engine->sessions) {
        struct sql_session *session = LIST_ENTRY(node, struct sql_session, node);
        if (session->pid == pid && session->secret == secret) {
            task_interrupt(session->task, TASK_CANCEL);
        }
    }
    latch_release(&engine->latch);
}

uint32_t
sql_engine_terminate(struct sql_engine *engine, bool only_idle)
{
    latch_acquire(&engine->latch);
    LIST_FOREACH (node, &engine->sessions) {
        struct sql_session *session = LIST_ENTRY(node, struct sql_session, node);
        bool busy = __atomic_load_n(&session->in_statement, __ATOMIC_RELAXED);
        if (!only_idle || !busy) {
            task_interrupt(session->task, TASK_TERMINATE);
        }
    }
    uint32_t left = engine->session_count;
    latch_release(&engine->latch);
    return left;
}

uint32_t
sql_engine_session_count(struct sql_engine *engine)
{
    latch_acquire(&engine->latch);
    uint32_t count = engine->session_count;
    latch_release(&engine->latch);
    return count;
}

/* ---- a session
 * ------------------------------------------------------------------------------------- */

static enum err
enter(struct sql_engine *engine, struct sql_session *session, struct diag *diag)
{
    latch_acquire(&engine->latch);
    bool room = engine->session_count < engine->connections_max;
    if (room) {
        engine->session_count++;
        session->pid = engine->next_pid++;
        if (engine->next_pid > INT32_MAX) {
            engine->next_pid = 1;
        }
        list_push_back(&engine->sessions, &session->node);
    }
    latch_release(&engine->latch);
    return room ? ERR_OK
                : diag_set(diag, ERR_TOO_MANY_CONNECTIONS, "sorry, too many clients already");
}

static void
leave(struct sql_engine *engine, struct sql_session *session)
{
    latch_acquire(&engine->latch);
    list_remove(&session->node);
    engine->session_count--;
    latch_release(&engine->latch);
}

/* Has the role the right to connect, and room to? The session is counted already. */
static enum err
check_connect(struct sql_session *session, const struct catalog *catalog,
    const struct database *database, const struct role *role, struct diag *diag)
{
    if (database->no_connections) {
        return diag_set(diag, ERR_OBJECT_STATE,
            "database \"%s\" is not currently accepting connections", database->name);
    }
    if (catalog_privileges(catalog, role->oid, CATALOG_CLASS_DATABASE_OID, database->oid,
            database->owner, PRIVILEGE_CONNECT, false) == 0) {
        (void)diag_set(diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied for database \"%s\"",
            session->database);
        diag_detail(diag, "User does not have CONNECT privilege.");
        return ERR_INSUFFICIENT_PRIVILEGE;
    }
    int32_t of_role = 0, of_database = 0;
    latch_acquire(&session->engine->latch);
    LIST_FOREACH (node, &session->engine->sessions) {
        const struct sql_session *other = LIST_ENTRY(node, struct sql_session, node);
        of_role += strcmp(other->user, role->name) == 0;
        of_database += other->database_oid == database->oid;
    }
    latch_release(&session->engine->latch);
    if (!role->superuser && database->connection_limit >= 0 &&
        of_database > database->connection_limit) {
        return diag_set(diag, ERR_TOO_MANY_CONNECTIONS, "too many connections for database \"%s\"",
            database->name);
    }
    return role->superuser || role->connection_limit < 0 || of_role <= role->connection_limit
               ? ERR_OK
               : diag_set(diag, ERR_TOO_MANY_CONNECTIONS, "too many connections for role \"%s\"",
                     role->name);
}

/* Settings of the database and role, the most special last, then what the client asks for. What
 * does not fit any more is left out. */
static enum err
start_settings(struct sql_session *session, const struct catalog *catalog, const struct role *role,
    const char *const *asked, struct diag *diag)
{
    oid_t database = session->database_oid;
    const oid_t levels[][2] = {{0, 0}, {database, 0}, {0, role->oid}, {database, role->oid}};
    const struct catalog_setting *setting;
    for (size_t level = 0; level < sizeof levels / sizeof levels[0]; level++) {
        for (size_t i = 0; (setting = catalog_setting_at(catalog, i)) != NULL; i++) {
            if (setting->database == levels[level][0] && setting->role == levels[level][1] &&
                settings__start(session, setting->name, setting->value, diag) != ERR_OK) {
                world_log(session->engine->world, "setting \"%s\" of role \"%s\" is left out: %s",
                    setting->name, role->name, diag->message);
            }
        }
    }
    for (const char *const *at = asked; at != NULL && *at != NULL; at += 2) {
        TRY(settings__start(session, at[0], at[1], diag));
    }
    return ERR_OK;
}

/* Into the database: from here on we are counted there, and see its objects. Who drops it waits for
 * our lock, and then finds us. */
static enum err
enter_database(struct task *task, struct sql_session *session, struct catalog **catalog,
    const struct database **database, struct diag *diag)
{
    struct sql_engine *engine = session->engine;
    oid_t locked = 0;
    for (;;) {
        TRY(catalog_get(task, engine->catalogs, session->txn, catalog, diag));
        *database = catalog_database(*catalog, session->database);
        oid_t oid = *database == NULL ? 0 : (*database)->oid;
        if (oid == locked) {
            break;
        }
        catalog_release(*catalog);
        *catalog = NULL;
        locked = oid;
        TRY(txn_lock_table(task, session->txn, ddl_database_lock(oid), session->database,
            TXN_ACCESS_SHARE, TXN_WAIT, diag));
    }
    latch_acquire(&engine->latch);
    session->database_oid = locked;
    latch_release(&engine->latch);
    txn_set_scope(session->txn, locked);
    return ERR_OK;
}

uint32_t
session__others_in(
    struct sql_engine *engine, const struct sql_session *own, oid_t database, bool end)
{
    uint32_t count = 0;
    latch_acquire(&engine->latch);
    LIST_FOREACH (node, &engine->sessions) {
        struct sql_session *session = LIST_ENTRY(node, struct sql_session, node);
        if (session == own || session->database_oid != database) {
            continue;
        }
        if (session->servant) {
            atomic_store(&session->stale, true);
            continue;
        }
        count++;
        if (end) {
            task_interrupt(session->task, TASK_TERMINATE);
        }
    }
    latch_release(&engine->latch);
    return count;
}

/* Does the role exist, may it log in, does the database exist? */
static enum err
check_identity(
    struct task *task, struct sql_session *session, const char *const *asked, struct diag *diag)
{
    TRY(txn_begin(task, session->txn, TXN_READ_COMMITTED, true, diag));
    struct catalog *catalog = NULL;
    const struct database *database = NULL;
    enum err err = enter_database(task, session, &catalog, &database, diag);
    if (err == ERR_OK) {
        const struct role *role = catalog_role(catalog, session->user);
        if (role == NULL) {
            err = diag_set(
                diag, ERR_INVALID_AUTHORIZATION, "role \"%s\" does not exist", session->user);
        } else if (!role->login) {
            err = diag_set(diag, ERR_INVALID_AUTHORIZATION,
                "role \"%s\" is not permitted to log in", session->user);
        } else if (database == NULL) {
            err = diag_set(diag, ERR_INVALID_CATALOG_NAME, "database \"%s\" does not exist",
                session->database);
        } else {
            err = check_connect(session, catalog, database, role, diag);
        }
        if (err == ERR_OK) {
            err = start_settings(session, catalog, role, asked, diag);
        }
        catalog_release(catalog);
    }
    txn_rollback(task, session->txn);
    return err;
}

/* The password is asked for outside of any transaction: the client may take its time. */
static enum err
authenticate(struct task *task, struct sql_session *session,
    const struct sql_session_options *options, struct diag *diag)
{
    TRY(txn_begin(task, session->txn, TXN_READ_COMMITTED, true, diag));
    struct catalog *catalog = NULL;
    char *verifier = NULL;
    enum err err = catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag);
    if (err == ERR_OK) {
        const struct role *role = catalog_role(catalog, session->user);
        int64_t now = world_wall_us(session->engine->world) - EPOCH_US;
        if (role != NULL && role->password != NULL && now < role->valid_until) {
            verifier = mem_strdup(role->password);
        }
        catalog_release(catalog);
    }
    txn_rollback(task, session->txn);
    if (err == ERR_OK) {
        err = options->authenticate(task, options->authenticate_arg, verifier, diag);
    }
    mem_free(verifier);
    return err;
}

enum err
sql_session_new(struct task *task, struct sql_engine *engine,
    const struct sql_session_options *options, const struct sql_sink *sink,
    struct sql_session **session_out, struct diag *diag)
{
    struct sql_session *session = mem_zalloc(sizeof *session);
    session->engine = engine;
    session->task = task;
    session->sink = sink;
    session->secret = options->secret;
    session->servant = options->servant;
    session->started = world_wall_us(engine->world) - EPOCH_US;
    session->activity_changed = session->started;
    session->user = mem_strdup(options->user);
    session->database = mem_strdup(options->database);
    const char *colon = options->peer == NULL ? NULL : strrchr(options->peer, ':');
    if (colon != NULL) {
        (void)snprintf(session->client_address, sizeof session->client_address, "%.*s",
            (int)(colon - options->peer), options->peer);
        session->client_port = (int)strtol(colon + 1, NULL, 10);
    }
    if (options->tls != NULL) {
        session->tls = mem_alloc(sizeof *session->tls);
        *session->tls = *options->tls;
    }
    list_init(&session->statements);
    list_init(&session->routines);
    list_init(&session->channels);
    list_init(&session->inbox);
    list_init(&session->portals);
    list_init(&session->held);
    list_init(&session->cache_ages);
    arena_create(&session->statement, "statement");
    session->spill_space.directory = engine->temp_directory;
    session->env.user = session->env.session_user = session->user;
    settings__create(session);
    enum err err = enter(engine, session, diag);
    bool entered = err == ERR_OK;
    if (entered) {
        session->txn = txn_new(engine->db, session->pid);
        session->deferred = exec_deferred_new();
        session->env.sequences = sequence_session_new(engine->catalogs, session->txn);
        session->env.domains = domain_cache_new();
        session->env.world = engine->world;
        session->env.user = session->user;
        session->env.session_user = session->user;
        session->env.database = session->database;
        session->env.backend_pid = session->pid;
        session->env.session = session;
        settings__identify(session);
        if (options->authenticate != NULL) {
            err = authenticate(task, session, options, diag);
        }
        if (err == ERR_OK) {
            err = check_identity(task, session, options->settings, diag);
        }
    }
    if (err != ERR_OK) {
        if (entered) {
            sql_session_delete(task, session);
        } else {
            settings__destroy(session);
            arena_destroy(&session->statement);
            mem_free(session->tls);
            mem_free(session->user);
            mem_free(session->database);
            mem_free(session);
        }
        return err;
    }
    session->log_end = strcmp(settings__value(session, "log_connections"), "on") == 0;
    if (session->log_end) {
        world_log(engine->world, "connection  pid: %u  user: %s  database: %s  from: %s",
            session->pid, session->user, session->database,
            options->peer == NULL ? "" : options->peer);
    }
    *session_out = session;
    return ERR_OK;
}

void
sql_session_delete(struct task *task, struct sql_session *session)
{
    session__rollback_all(task, session);
    cursor__close_held(task, session);
    if (session->log_end) {
        int64_t time_us = world_wall_us(session->engine->world) - EPOCH_US - session->started;
        world_log(session->engine->world,
            "disconnection  pid: %u  user: %s  database: %s  session time: %.3f s", session->pid,
            session->user, session->database, (double)time_us / 1e6);
    }
    notify__end(session);
    route__destroy(session);
    moves__end(task, session);
    prepared__drop_all(session);
    routine__forget_all(session);
    temporary__end(task, session);
    txn_delete(task, session->txn);
    settings__destroy(session);
    leave(session->engine, session);
    arena_destroy(&session->statement);
    buffer_destroy(&session->normalized);
    buffer_destroy(&session->sagas);
    mem_free(session->savepoints);
    mem_free(session->query);
    mem_free(session->temporaries);
    exec_deferred_delete(session->deferred);
    sequence_session_delete(session->env.sequences);
    domain_cache_delete(session->env.domains);
    mem_free(session->tls);
    mem_free(session->user);
    mem_free(session->database);
    mem_free(session);
}

void
sql_session_trim(struct sql_session *session)
{
    prepared__drop_cached(session);
    sql_session_rest(session);
}

void
sql_session_rest(struct sql_session *session)
{
    txn_trim(session->txn);
    buffer_destroy(&session->normalized);
}

uint32_t
sql_session_pid(const struct sql_session *session)
{
    return session->pid;
}

char
sql_session_status(const struct sql_session *session)
{
    switch (session->block) {
    case BLOCK_NONE:
    case BLOCK_IMPLICIT:
        return 'I';
    case BLOCK_EXPLICIT:
        return 'T';
    case BLOCK_FAILED:
        return 'E';
    }
    ASSERT(false);
    return 'I';
}

struct eval_env *
sql_session_env(struct sql_session *session)
{
    return &session->env;
}

int64_t
sql_session_idle_deadline(const struct sql_session *session)
{
    int64_t wait =
        session->block == BLOCK_NONE ? session->idle_session_us : session->idle_in_transaction_us;
    return wait == 0 ? WORLD_NEVER : world_clock_us(session->engine->world) + wait;
}
