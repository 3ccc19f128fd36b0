/* sql/session/setting_table.c - the settings that mean something here, or that clients set without
 * asking. */
#include "sql/session/setting_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/mem.h"
#include "shard/route.h"
#include "sql/value/value.h"

/* Sorted by name, without regard to case. */
const struct setting setting_table[] = {
    {"application_name", SETTING_TEXT, 0, SETTING_REPORT | SETTING_SESSION, "", 0, 0, NULL,
        "Sets the application name to be reported in statistics and logs."},
    {"archive_directory", SETTING_TEXT, 0, SETTING_SERVER, "", 0, 0, NULL,
        "Sets the directory to which the log is copied as it grows; empty: none."},
    {"backslash_quote", SETTING_ENUM, 0, 0, "safe_encoding", 0, 0, "safe_encoding|on|off",
        "Has no effect: standard_conforming_strings is always on."},
    {"bytea_output", SETTING_ENUM, 0, 0, "hex", 0, 0, "hex|escape",
        "Sets the output format for bytea."},
    {"check_function_bodies", SETTING_BOOL, 0, 0, "on", 0, 0, NULL,
        "Has no effect: there are no user functions yet."},
    {"checkpoint_timeout", SETTING_INT, UNIT_MS, SETTING_SERVER, "300000", 1000, 86400000, NULL,
        "Sets the maximum time between automatic checkpoints."},
    {"client_encoding", SETTING_TEXT, 0, SETTING_REPORT | SETTING_SESSION, "UTF8", 0, 0, NULL,
        "Sets the client's character set encoding; only UTF8."},
    {"client_min_messages", SETTING_ENUM, 0, 0, "notice", 0, 0,
        "debug5|debug4|debug3|debug2|debug1|debug|log|notice|warning|error",
        "Sets the message levels that are sent to the client."},
    {"cluster_control", SETTING_TEXT, 0, SETTING_SERVER, "", 0, 0, NULL,
        "Sets the control store in which a node of a cluster has its lease; empty: it needs none."},
    {"cluster_lease", SETTING_INT, UNIT_MS, SETTING_SERVER, "10000", 2000, 600000, NULL,
        "Sets how long a node's lease lasts; without it the node answers no routed writes."},
    {"cluster_node", SETTING_TEXT, 0, SETTING_SERVER, "", 0, 0, NULL,
        "Sets this server's name in a cluster; empty: it is in none, and has all buckets."},
    {"config_file", SETTING_TEXT, 0, SETTING_READ_ONLY, "", 0, 0, NULL,
        "Shows the server's main configuration file."},
    {"data_directory", SETTING_TEXT, 0, SETTING_READ_ONLY, "", 0, 0, NULL,
        "Shows the server's data directory."},
    {"DateStyle", SETTING_TEXT, 0, SETTING_REPORT, "ISO, MDY", 0, 0, NULL,
        "Sets the input order of dates; the output is ISO."},
    {"deadlock_timeout", SETTING_INT, UNIT_MS, 0, "1000", 1, INT32_MAX, NULL,
        "For clients that set it: deadlocks are looked for at once whenever somebody waits."},
    {"debug_work_mem_bytes", SETTING_INT, 0, 0, "-1", -1, INT32_MAX, NULL,
        "Takes the place of work_mem, in bytes: 0 sends every row to temporary files. For tests."},
    {"default_table_access_method", SETTING_TEXT, 0, 0, "heap", 0, 0, NULL,
        "Has no effect: there is one way to store tables."},
    {"default_tablespace", SETTING_TEXT, 0, 0, "", 0, 0, NULL,
        "Has no effect: there are no tablespaces."},
    {"default_transaction_deferrable", SETTING_BOOL, 0, 0, "off", 0, 0, NULL,
        "Sets the default deferrable status of new transactions."},
    {"default_transaction_isolation", SETTING_ENUM, 0, 0, "read committed", 0, 0,
        "serializable|repeatable read|read committed|read uncommitted",
        "Sets the transaction isolation level of each new transaction."},
    {"default_transaction_read_only", SETTING_BOOL, 0, SETTING_REPORT, "off", 0, 0, NULL,
        "Sets the default read-only status of new transactions."},
    {"escape_string_warning", SETTING_BOOL, 0, 0, "on", 0, 0, NULL,
        "Has no effect: standard_conforming_strings is always on."},
    {"extra_float_digits", SETTING_INT, 0, 0, "1", -15, 3, NULL,
        "Sets the number of digits displayed for floating-point values."},
    {"hash_mem_multiplier", SETTING_REAL, 0, 0, "2", 1, 1000, NULL,
        "Multiple of work_mem to use for hash tables."},
    {"history_window", SETTING_INT, UNIT_MS, SETTING_SERVER, "1000", 10, 600000, NULL,
        "Sets how long a node of a cluster keeps old row versions for reads at one moment."},
    {"idle_in_transaction_session_timeout", SETTING_INT, UNIT_MS, 0, "0", 0, INT32_MAX, NULL,
        "Sets the maximum allowed idle time between queries, when in a transaction."},
    {"idle_session_timeout", SETTING_INT, UNIT_MS, 0, "0", 0, INT32_MAX, NULL,
        "Sets the maximum allowed idle time between queries, when not in a transaction."},
    {"integer_datetimes", SETTING_BOOL, 0, SETTING_REPORT | SETTING_READ_ONLY, "on", 0, 0, NULL,
        "Shows whether datetimes are integer based."},
    {"IntervalStyle", SETTING_ENUM, 0, SETTING_REPORT, "postgres", 0, 0,
        "postgres|postgres_verbose|sql_standard|iso_8601",
        "Sets the display format for interval values."},
    {"is_superuser", SETTING_BOOL, 0, SETTING_REPORT | SETTING_READ_ONLY, "on", 0, 0, NULL,
        "Shows whether the current user is a superuser."},
    {"lc_collate", SETTING_TEXT, 0, SETTING_READ_ONLY, "C", 0, 0, NULL,
        "Shows the collation order locale."},
    {"lc_ctype", SETTING_TEXT, 0, SETTING_READ_ONLY, "C.UTF-8", 0, 0, NULL,
        "Shows the character classification and case conversion locale."},
    {"lc_messages", SETTING_TEXT, 0, 0, "C", 0, 0, NULL, "Has no effect: messages are in English."},
    {"lc_monetary", SETTING_TEXT, 0, 0, "C", 0, 0, NULL, "Has no effect."},
    {"lc_numeric", SETTING_TEXT, 0, 0, "C", 0, 0, NULL, "Has no effect."},
    {"lc_time", SETTING_TEXT, 0, 0, "C", 0, 0, NULL, "Has no effect."},
    {"listen_addresses", SETTING_TEXT, 0, SETTING_SERVER, "127.0.0.1", 0, 0, NULL,
        "Sets the address to listen on; tusk_hba.conf says who may come from where."},
    {"lock_timeout", SETTING_INT, UNIT_MS, 0, "0", 0, INT32_MAX, NULL,
        "Sets the maximum allowed duration of any wait for a lock."},
    {"log_connections", SETTING_BOOL, 0, SETTING_RELOAD, "off", 0, 0, NULL,
        "Logs each successful connection, and its end."},
    {"log_min_duration_statement", SETTING_INT, UNIT_MS, 0, "-1", -1, INT32_MAX, NULL,
        "Logs statements that take at least so long, with their times; 0: all; -1: none."},
    {"maintenance_work_mem", SETTING_INT, UNIT_KB, 0, "65536", 1024, INT32_MAX, NULL,
        "Sets the maximum memory to be used for maintenance operations: sorting an index's "
        "entries."},
    {"max_connections", SETTING_INT, 0, SETTING_SERVER, "10000", 1, INT32_MAX, NULL,
        "Sets the maximum number of concurrent connections."},
    {"max_held_rows", SETTING_INT, 0, SETTING_SERVER, "0", 0, INT32_MAX, NULL,
        "Sets how many rows of its result a cursor may keep (SCROLL, WITH HOLD); 0: any number."},
    {"max_identifier_length", SETTING_INT, 0, SETTING_READ_ONLY, "63", 63, 63, NULL,
        "Shows the maximum identifier length."},
    {"max_index_keys", SETTING_INT, 0, SETTING_READ_ONLY, "32", 32, 32, NULL,
        "Shows the maximum number of index keys."},
    {"max_statement_memory", SETTING_INT, UNIT_KB, SETTING_SERVER, "1048576", 1024, INT32_MAX, NULL,
        "Sets the memory that one statement may hold besides work_mem; who asks for more gets an "
        "error."},
    {"max_statement_size", SETTING_INT, UNIT_KB, SETTING_SERVER, "1048576", 1, 1048576, NULL,
        "Sets the maximum size of a statement's text."},
    {"max_wal_size", SETTING_INT, UNIT_KB, SETTING_SERVER, "1048576", 1024, INT32_MAX, NULL,
        "Sets the size of the log that starts a checkpoint."},
    {"metrics_port", SETTING_INT, 0, SETTING_SERVER, "0", 0, 65535, NULL,
        "Sets the port for metrics in Prometheus's text format, at listen_addresses; 0: none."},
    {"port", SETTING_INT, 0, SETTING_SERVER, "5433", 0, 65535, NULL,
        "Sets the port to listen on; 0: any free one, which the log names."},
    {"role", SETTING_TEXT, 0, SETTING_SESSION, "none", 0, 0, NULL, "Sets the current role."},
    {"router_balance_pause", SETTING_INT, UNIT_MS, SETTING_SERVER | SETTING_ROUTER, "100", 0,
        INT32_MAX, NULL,
        "Sets the pause between the moves of ALTER CLUSTER DRAIN NODE and REBALANCE."},
    {"router_breaker_failures", SETTING_INT, 0, SETTING_SERVER | SETTING_ROUTER, "5", 1, 1000000,
        NULL, "Sets how many failures to reach a shard, one after another, open its breaker."},
    {"router_breaker_pause", SETTING_INT, UNIT_MS, SETTING_SERVER | SETTING_ROUTER, "1000", 1,
        INT32_MAX, NULL,
        "Sets how long a shard that cannot be reached is left alone before it is tried again."},
    {"router_connect_timeout", SETTING_INT, UNIT_MS, SETTING_SERVER | SETTING_ROUTER, "5000", 1,
        INT32_MAX, NULL, "Sets the maximum time to wait for a connection to a shard."},
    {"router_control", SETTING_TEXT, 0, SETTING_SERVER | SETTING_ROUTER, "", 0, 0, NULL,
        "Sets where moves of buckets are kept: etcd://HOST:PORT/PREFIX or file:DIRECTORY; empty: "
        "in "
        "the router's data directory."},
    {"router_nodes", SETTING_TEXT, 0, SETTING_SERVER | SETTING_ROUTER, "", 0, 0, NULL,
        "Names the shards, name=host:port each, where there is no control store."},
    {"router_password_file", SETTING_TEXT, 0, SETTING_SERVER | SETTING_ROUTER, "", 0, 0, NULL,
        "Names the file of the router's passwords at the shards, host:port:database:user:password "
        "a line."},
    {"router_pool_size", SETTING_INT, 0, SETTING_SERVER | SETTING_ROUTER, "40", 1, 10000, NULL,
        "Sets the most connections to each shard, for each user and database."},
    {"router_prepared_max", SETTING_INT, 0, SETTING_SERVER | SETTING_ROUTER, "1000", 1, 1000000,
        NULL,
        "Sets how many statements may be prepared on a connection to a shard before it is "
        "replaced."},
    {"router_pull_size", SETTING_INT, UNIT_KB, SETTING_SERVER | SETTING_ROUTER, "65536", 64,
        INT32_MAX, NULL, "Sets how many bytes of rows a query may need of several shards."},
    {"router_queue_size", SETTING_INT, 0, SETTING_SERVER | SETTING_ROUTER, "1000", 0, 1000000, NULL,
        "Sets how many clients may wait for a connection to a shard."},
    {"router_queue_timeout", SETTING_INT, UNIT_MS, SETTING_SERVER | SETTING_ROUTER, "10000", 1,
        INT32_MAX, NULL, "Sets the maximum time a client waits for a connection to a shard."},
    {"router_replicated_timeout", SETTING_INT, UNIT_MS, SETTING_SERVER | SETTING_ROUTER, "5000", 1,
        INT32_MAX, NULL,
        "Sets how long a change of a replicated table waits for all nodes to have it."},
    {"router_retries", SETTING_INT, 0, SETTING_SERVER | SETTING_ROUTER, "3", 0, 100, NULL,
        "Sets how often a statement that may safely be sent again is."},
    {"router_sslmode", SETTING_ENUM, 0, SETTING_SERVER | SETTING_ROUTER, "prefer", 0, 0,
        "disable|allow|prefer|require|verify-ca|verify-full",
        "Sets whether connections to the shards are encrypted, and whom they are made to."},
    {"router_sslrootcert", SETTING_TEXT, 0, SETTING_SERVER | SETTING_ROUTER, "", 0, 0, NULL,
        "Names the file of authorities that may have signed the shards' certificates."},
    {"router_sync", SETTING_INT, UNIT_MS, SETTING_SERVER | SETTING_ROUTER, "1000", 10, INT32_MAX,
        NULL, "Sets how often the router looks for changes of schema and nodes by itself."},
    {"router_user", SETTING_TEXT, 0, SETTING_SERVER | SETTING_ROUTER, "postgres", 0, 0, NULL,
        "Names the superuser as whom the router keeps the shards' schema."},
    {"router_watch", SETTING_BOOL, 0, SETTING_SERVER | SETTING_ROUTER, "on", 0, 0, NULL,
        "Sets whether the router hears of moves of buckets from the control store at once."},
    {"row_security", SETTING_BOOL, 0, 0, "on", 0, 0, NULL,
        "Has no effect: there is no row security yet."},
    {"search_path", SETTING_TEXT, 0, 0, "\"$user\", public", 0, 0, NULL,
        "Sets the schema search order; only the default is looked at."},
    {"serializable_ranges_max", SETTING_INT, 0, SETTING_SERVER, "2048", 1, 1 << 24, NULL,
        "Ranges that a serializable transaction has read in one table or index before they merge."},
    {"serializable_stubs_max", SETTING_INT, 0, SETTING_SERVER, "262144", 1, 1 << 24, NULL,
        "Summarised serializable transactions of which the writes are remembered."},
    {"serializable_transactions_max", SETTING_INT, 0, SETTING_SERVER, "4096", 1, 1 << 24, NULL,
        "Committed serializable transactions that are remembered before they are summarised."},
    {"server_encoding", SETTING_TEXT, 0, SETTING_REPORT | SETTING_READ_ONLY, "UTF8", 0, 0, NULL,
        "Shows the server (database) character set encoding."},
    {"server_version", SETTING_TEXT, 0, SETTING_REPORT | SETTING_READ_ONLY, "15.0 (Tusk 0.1.0)", 0,
        0, NULL, "Shows the server version."},
    {"server_version_num", SETTING_INT, 0, SETTING_READ_ONLY, "150000", 0, INT32_MAX, NULL,
        "Shows the server version as an integer."},
    {"session_authorization", SETTING_TEXT, 0, SETTING_REPORT | SETTING_SESSION, "", 0, 0, NULL,
        "Shows the session user name."},
    {"shared_buffers", SETTING_INT, UNIT_KB, SETTING_SERVER, "1048576", 1024, INT64_C(1) << 32,
        NULL, "Sets the memory of the page cache."},
    {"ssl", SETTING_BOOL, 0, SETTING_RELOAD, "off", 0, 0, NULL,
        "Enables encrypted connections; ssl_cert_file and ssl_key_file are needed."},
    {"ssl_ca_file", SETTING_TEXT, 0, SETTING_RELOAD, "", 0, 0, NULL,
        "Names the file of the authorities whose signatures make client certificates valid; "
        "empty: clients are not asked for one."},
    {"ssl_cert_file", SETTING_TEXT, 0, SETTING_RELOAD, "server.crt", 0, 0, NULL,
        "Names the file of the server's certificate; relative to the data directory."},
    {"ssl_ciphers", SETTING_TEXT, 0, SETTING_RELOAD, "HIGH:!aNULL", 0, 0, NULL,
        "Sets the list of allowed ciphers of TLS 1.2, in OpenSSL's words."},
    {"ssl_key_file", SETTING_TEXT, 0, SETTING_RELOAD, "server.key", 0, 0, NULL,
        "Names the file of the server's private key; relative to the data directory. Nobody else "
        "may be allowed to read it."},
    {"ssl_max_protocol_version", SETTING_ENUM, 0, SETTING_RELOAD, "", 0, 0,
        "|TLSv1|TLSv1.1|TLSv1.2|TLSv1.3", "Sets the maximum TLS version to use; empty: any."},
    {"ssl_min_protocol_version", SETTING_ENUM, 0, SETTING_RELOAD, "TLSv1.2", 0, 0,
        "TLSv1|TLSv1.1|TLSv1.2|TLSv1.3", "Sets the minimum TLS version to use."},
    {"standard_conforming_strings", SETTING_BOOL, 0, SETTING_REPORT, "on", 0, 0, NULL,
        "Causes '...' strings to treat backslashes literally; always on."},
    {"statement_timeout", SETTING_INT, UNIT_MS, 0, "0", 0, INT32_MAX, NULL,
        "Sets the maximum allowed duration of any statement."},
    {"synchronize_seqscans", SETTING_BOOL, 0, 0, "on", 0, 0, NULL, "Has no effect."},
    {"synchronous_commit", SETTING_ENUM, 0, 0, "on", 0, 0, "on|off|local|remote_write|remote_apply",
        "Sets whether a commit waits for the log to be durable."},
    {"temp_file_limit", SETTING_INT, UNIT_KB, 0, "-1", -1, INT32_MAX, NULL,
        "Limits the total size of all temporary files used by each session; -1: no limit."},
    {"TimeZone", SETTING_TEXT, 0, SETTING_REPORT, "UTC", 0, 0, NULL,
        "Sets the time zone for displaying and interpreting time stamps."},
    {"transaction_deferrable", SETTING_BOOL, 0, SETTING_SESSION, "off", 0, 0, NULL,
        "Has no effect at the isolation levels there are."},
    {"transaction_isolation", SETTING_ENUM, 0, SETTING_SESSION, "read committed", 0, 0,
        "serializable|repeatable read|read committed|read uncommitted",
        "Sets the current transaction's isolation level."},
    {"transaction_read_only", SETTING_BOOL, 0, SETTING_SESSION, "off", 0, 0, NULL,
        "Sets the current transaction's read-only status."},
    {"tusk.copy_spread", SETTING_BOOL, 0, 0, "off", 0, 0, NULL,
        "Lets COPY FROM through tusk-router be one transaction on each shard it has rows for."},
    {"tusk.definitions_commit", SETTING_BOOL, 0, 0, "off", 0, 0, NULL,
        "Lets a definition through tusk-router commit the transaction block it stands in, and "
        "itself."},
    {"tusk.idempotency_key", SETTING_TEXT, 0, SETTING_SESSION, "", 0, 0, NULL,
        "Names the transaction: another one with the same key changes nothing and is answered as "
        "the first was."},
    {"tusk.idempotency_result_size", SETTING_INT, UNIT_KB, 0, "64", 0, 65536, NULL,
        "Sets how much of the rows that a transaction with an idempotency key returned is kept."},
    {"tusk.idempotency_ttl", SETTING_INT, UNIT_MS, SETTING_RELOAD, "86400000", 1000,
        INT64_C(31536000000), NULL, "Sets how long idempotency keys are remembered."},
    {"tusk.replicated_alone", SETTING_BOOL, 0, SETTING_SESSION, "off", 0, 0, NULL,
        "Lets a superuser change this node's copy of replicated tables alone."},
    {"tusk.report_commit_token", SETTING_BOOL, 0, 0, "off", 0, 0, NULL,
        "Sets whether each commit's stamp is told as the parameter tusk.commit_token."},
    {"tusk.route", SETTING_TEXT, 0, SETTING_SESSION, "", 0, 0, NULL,
        "Shows for which buckets statements were sent here, by which map, as of which moment."},
    {"tusk.saga_history", SETTING_INT, UNIT_MS, SETTING_RELOAD, "604800000", 1000,
        INT64_C(31536000000), NULL,
        "Sets how long sagas that have ended are kept, with their keys."},
    {"tusk.saga_reads", SETTING_ENUM, 0, 0, "all", 0, 0, "all|settled",
        "Sets whether queries see what unfinished sagas have written."},
    {"tusk.saga_workers", SETTING_INT, 0, SETTING_SERVER, "8", 0, 64, NULL,
        "Sets how many sagas run at a time; 0: none."},
    {"undo_memory", SETTING_INT, UNIT_KB, SETTING_SERVER, "0", 0, INT32_MAX, NULL,
        "Sets the memory for old row versions; more of them go to a file. 0: a quarter of "
        "shared_buffers, 32MB at least."},
    {"undo_size_max", SETTING_INT, UNIT_KB, SETTING_SERVER, "8388608", 1024, INT32_MAX, NULL,
        "Sets the size of old row versions, in memory and in their file, at which the oldest "
        "snapshot is given up."},
    {"work_mem", SETTING_INT, UNIT_KB, 0, "4096", 64, INT32_MAX, NULL,
        "Sets the maximum memory to be used for query workspaces."},
    {"xmloption", SETTING_ENUM, 0, 0, "content", 0, 0, "content|document",
        "Has no effect: there is no xml type."},
};
const int setting_count = sizeof setting_table / sizeof setting_table[0];

int
setting_find(const char *name)
{
    int low = 0;
    int high = setting_count - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        int order = strcasecmp(name, setting_table[middle].name);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            high = middle - 1;
        } else {
            low = middle + 1;
        }
    }
    return strchr(name, '.') != NULL ? SETTING_CUSTOM : SETTING_UNKNOWN;
}

enum err
setting_unknown(const char *name, struct diag *diag)
{
    return diag_set(
        diag, ERR_UNDEFINED_OBJECT, "unrecognized configuration parameter \"%s\"", name);
}

static enum err
invalid(const struct setting *setting, const char *value, struct diag *diag)
{
    return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "invalid value for parameter \"%s\": \"%s\"",
        setting->name, value);
}

static bool
parse_bool(const char *value, bool *result)
{
    static const char *const words[] = {
        "on", "off", "true", "false", "yes", "no", "1", "0", "t", "f", "y", "n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(value, words[i]) == 0) {
            *result = i % 2 == 0;
            return true;
        }
    }
    return false;
}

static enum err
check_int(const struct setting *setting, const char *value, char **checked, struct diag *diag)
{
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value) {
        return invalid(setting, value, diag);
    }
    while (*end == ' ') {
        end++;
    }
    static const struct {
        enum setting_unit unit;
        const char *name;
        double factor;
    } units[] = {{UNIT_MS, "us", 0.001}, {UNIT_MS, "ms", 1}, {UNIT_MS, "s", 1000},
        {UNIT_MS, "min", 60000}, {UNIT_MS, "h", 3600000}, {UNIT_MS, "d", 86400000},
        {UNIT_KB, "B", 1.0 / 1024}, {UNIT_KB, "kB", 1}, {UNIT_KB, "MB", 1024},
        {UNIT_KB, "GB", 1048576}, {UNIT_KB, "TB", 1073741824}};
    if (*end != '\0') {
        size_t i = 0;
        size_t count = sizeof units / sizeof units[0];
        while (i < count && (units[i].unit != setting->unit || strcmp(units[i].name, end) != 0)) {
            i++;
        }
        if (i == count) {
            return invalid(setting, value, diag);
        }
        number *= units[i].factor;
    }
    if (number < (double)setting->min || number > (double)setting->max) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "%.0f%s is outside the valid range for parameter \"%s\" (%lld .. %lld)", number,
            setting->unit == UNIT_NONE ? ""
            : setting->unit == UNIT_MS ? " ms"
                                       : " kB",
            setting->name, (long long)setting->min, (long long)setting->max);
    }
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)(number + (number < 0 ? -0.5 : 0.5)));
    *checked = mem_strdup(text);
    return ERR_OK;
}

static enum err
check_real(const struct setting *setting, const char *value, char **checked, struct diag *diag)
{
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || number != number) {
        return invalid(setting, value, diag);
    }
    if (number < (double)setting->min || number > (double)setting->max) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "%g is outside the valid range for parameter \"%s\" (%lld .. %lld)", number,
            setting->name, (long long)setting->min, (long long)setting->max);
    }
    char text[32];
    (void)snprintf(text, sizeof text, "%g", number);
    *checked = mem_strdup(text);
    return ERR_OK;
}

static enum err
check_enum(const struct setting *setting, const char *value, char **checked, struct diag *diag)
{
    const char *at = setting->choices;
    size_t size = strlen(value);
    while (*at != '\0') {
        size_t length = strcspn(at, "|");
        if (length == size && strncasecmp(at, value, size) == 0) {
            *checked = mem_strdup(value);
            memcpy(*checked, at, size);
            return ERR_OK;
        }
        at += length + (at[length] == '|' ? 1 : 0);
    }
    (void)invalid(setting, value, diag);
    char choices[256];
    size_t used = 0;
    for (at = setting->choices; *at != '\0' && used + 4 < sizeof choices; at++) {
        choices[used++] = *at == '|' ? ',' : *at;
        if (*at == '|') {
            choices[used++] = ' ';
        }
    }
    choices[used] = '\0';
    diag_hint(diag, "Available values: %s.", choices);
    return ERR_INVALID_PARAMETER_VALUE;
}

/* Both may be said, in either order; what is not said stays as it is (`current`, or NULL). */
static enum err
check_date_style(const char *value, const char *current, char **checked, struct diag *diag)
{
    static const char *const styles[] = {"ISO", "SQL", "Postgres", "German"};
    static const char *const orders[] = {"MDY", "DMY", "YMD"};
    int style = -1, order = -1;
    bool conflict = false;
    char copy[64];
    (void)snprintf(copy, sizeof copy, "%s", value);
    char *rest = NULL;
    for (char *word = strtok_r(copy, ", ", &rest); word != NULL;
         word = strtok_r(NULL, ", ", &rest)) {
        int new_style = -1, new_order = -1;
        if (strcasecmp(word, "default") == 0) {
            style = style < 0 ? 0 : style;
            order = order < 0 ? 0 : order;
            continue;
        }
        for (int i = 0; i < 4; i++) {
            bool is =
                i == 2 ? strncasecmp(word, styles[i], 8) == 0 : strcasecmp(word, styles[i]) == 0;
            new_style = is ? i : new_style;
        }
        new_order = strcasecmp(word, "MDY") == 0 || strncasecmp(word, "us", 2) == 0 ||
                            strncasecmp(word, "noneuro", 7) == 0
                        ? 0
                    : strcasecmp(word, "DMY") == 0 || strncasecmp(word, "euro", 4) == 0 ? 1
                    : strcasecmp(word, "YMD") == 0                                      ? 2
                                                                                        : -1;
        if (new_style < 0 && new_order < 0) {
            enum err err = diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
                "invalid value for parameter \"DateStyle\": \"%s\"", value);
            diag_detail(diag, "Unrecognized key word: \"%s\".", word);
            return err;
        }
        conflict = conflict || (new_style >= 0 && style >= 0 && style != new_style) ||
                   (new_order >= 0 && order >= 0 && order != new_order);
        style = new_style >= 0 ? new_style : style;
        order = new_order >= 0 ? new_order : order;
    }
    if (conflict) {
        enum err err = diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "invalid value for parameter \"DateStyle\": \"%s\"", value);
        diag_detail(diag, "Conflicting \"datestyle\" specifications.");
        return err;
    }
    for (int i = 0; i < 3 && order < 0; i++) {
        bool now = current != NULL && strstr(current, orders[i]) != NULL;
        order = style == 3 ? 1 : now ? i : -1;
    }
    for (int i = 0; i < 4 && style < 0; i++) {
        bool now = current != NULL && strncmp(current, styles[i], strlen(styles[i])) == 0;
        style = now ? i : -1;
    }
    char text[32];
    (void)snprintf(
        text, sizeof text, "%s, %s", styles[style < 0 ? 0 : style], orders[order < 0 ? 0 : order]);
    *checked = mem_strdup(text);
    return ERR_OK;
}

/* PostgreSQL's other encodings, by how their names begin: known, though not spoken here. */
static bool
is_encoding(const char *name)
{
    static const char *const begins[] = {"latin", "iso", "win", "koi8", "euc", "sjis", "shift",
        "big5", "gb", "uhc", "johab", "mule", "tcvn", "abc", "vscii", "alt", "unicode", "utf",
        "mskanji"};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        if (strncasecmp(name, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Settings whose words need more than a type. */
static enum err
check_text(struct task *task, const struct setting *setting, const char *value, const char *current,
    char **checked, struct diag *diag)
{
    if (strcmp(setting->name, "client_encoding") == 0) {
        /* Only letters and digits count, as in PostgreSQL: asyncpg says 'utf-8', quotes and all. */
        char name[32];
        size_t size = 0;
        for (const char *at = value; *at != '\0' && size + 1 < sizeof name; at++) {
            if (isalnum((unsigned char)*at)) {
                name[size++] = *at;
            }
        }
        name[size] = '\0';
        if (strcasecmp(name, "utf8") != 0 && strcasecmp(name, "unicode") != 0 &&
            strcasecmp(name, "sqlascii") != 0) {
            if (!is_encoding(name)) {
                return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
                    "invalid value for parameter \"client_encoding\": \"%s\"", value);
            }
            (void)diag_set(
                diag, ERR_FEATURE_NOT_SUPPORTED, "client encoding \"%s\" is not supported", value);
            diag_hint(diag, "Use UTF8.");
            return ERR_FEATURE_NOT_SUPPORTED;
        }
        *checked = mem_strdup("UTF8");
        return ERR_OK;
    }
    if (strcmp(setting->name, "tusk.route") == 0) {
        struct arena arena;
        struct shard_route route;
        arena_create(&arena, "route");
        enum err err = shard_route_parse(&arena, value, &route, diag);
        arena_destroy(&arena);
        TRY(err);
    }
    if (strcmp(setting->name, "DateStyle") == 0) {
        return check_date_style(value, current, checked, diag);
    }
    if (strcmp(setting->name, "TimeZone") == 0) {
        const char *name = time_zone_name(task, value);
        if (name == NULL) {
            return invalid(setting, value, diag);
        }
        *checked = mem_strdup(name);
        return ERR_OK;
    }
    *checked = mem_strdup(value);
    return ERR_OK;
}

enum err
setting_check(struct task *task, const struct setting *setting, const char *value,
    const char *current, char **checked, struct diag *diag)
{
    bool flag = false;
    switch (setting->type) {
    case SETTING_BOOL:
        if (!parse_bool(value, &flag)) {
            return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
                "parameter \"%s\" requires a Boolean value", setting->name);
        }
        if (strcmp(setting->name, "standard_conforming_strings") == 0 && !flag) {
            return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                "standard_conforming_strings cannot be turned off");
        }
        *checked = mem_strdup(flag ? "on" : "off");
        return ERR_OK;
    case SETTING_INT:
        return check_int(setting, value, checked, diag);
    case SETTING_REAL:
        return check_real(setting, value, checked, diag);
    case SETTING_ENUM:
        return check_enum(setting, value, checked, diag);
    case SETTING_TEXT:
        return check_text(task, setting, value, current, checked, diag);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

void
setting_with_unit(const struct setting *setting, const char *value, char *text, size_t size)
{
    long long number = strtoll(value, NULL, 10);
    (void)snprintf(text, size, "%s", value);
    if (setting->unit == UNIT_NONE || number <= 0) {
        return;
    }
    static const struct {
        enum setting_unit unit;
        long long factor;
        const char *name;
    } units[] = {{UNIT_MS, 86400000, "d"}, {UNIT_MS, 3600000, "h"}, {UNIT_MS, 60000, "min"},
        {UNIT_MS, 1000, "s"}, {UNIT_MS, 1, "ms"}, {UNIT_KB, 1073741824, "TB"},
        {UNIT_KB, 1048576, "GB"}, {UNIT_KB, 1024, "MB"}, {UNIT_KB, 1, "kB"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].unit == setting->unit && number % units[i].factor == 0) {
            (void)snprintf(text, size, "%lld%s", number / units[i].factor, units[i].name);
            return;
        }
    }
}
