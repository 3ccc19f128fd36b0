/*
 * base/err.h - how a function says "no".
 *
 * A function that can fail returns enum err, and the compiler will not let a caller drop it. The
 * words for the client go into the struct diag the caller passed down; the code alone decides
 * control flow. There is no hidden jump: what follows a call runs only if the call said ERR_OK.
 *
 *     TRY(wal_append(wal, record, &lsn));       the common case: hand the error up
 *     if (wal_append(...) != ERR_OK) goto out;  something here must be undone first
 *
 * TRY is the only macro in the tree that changes control flow.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdint.h>

/* One line per kind of failure: our name, the SQLSTATE a client sees, PostgreSQL's condition name.
 * Sorted by SQLSTATE. Add what you need; the names follow PostgreSQL's appendix A. */
#define ERR_LIST(X)                                                                    \
    X(ERR_OK, "00000", "successful_completion")                                        \
    X(ERR_WARNING, "01000", "warning")                                                 \
    X(ERR_FEATURE_NOT_SUPPORTED, "0A000", "feature_not_supported")                     \
    X(ERR_SHARD_UNREACHABLE, "08001", "sqlclient_unable_to_establish_sqlconnection")   \
    X(ERR_SHARD_LOGIN, "08004", "sqlserver_rejected_establishment_of_sqlconnection")   \
    X(ERR_CONNECTION_FAILURE, "08006", "connection_failure")                           \
    X(ERR_SHARD_LOST, "08007", "transaction_resolution_unknown")                       \
    X(ERR_PROTOCOL, "08P01", "protocol_violation")                                     \
    X(ERR_CARDINALITY, "21000", "cardinality_violation")                               \
    X(ERR_STRING_TRUNCATION, "22001", "string_data_right_truncation")                  \
    X(ERR_DATA_EXCEPTION, "22000", "data_exception")                                   \
    X(ERR_NUMERIC_RANGE, "22003", "numeric_value_out_of_range")                        \
    X(ERR_NULL_VALUE, "22004", "null_value_not_allowed")                               \
    X(ERR_DATETIME_FORMAT, "22007", "invalid_datetime_format")                         \
    X(ERR_DATETIME_OVERFLOW, "22008", "datetime_field_overflow")                       \
    X(ERR_ZONE_DISPLACEMENT, "22009", "invalid_time_zone_displacement_value")          \
    X(ERR_INVALID_ESCAPE_USE, "2200C", "invalid_use_of_escape_character")              \
    X(ERR_SUBSTRING, "22011", "substring_error")                                       \
    X(ERR_DIVISION_BY_ZERO, "22012", "division_by_zero")                               \
    X(ERR_INTERVAL_OVERFLOW, "22015", "interval_field_overflow")                       \
    X(ERR_INVALID_ESCAPE, "22019", "invalid_escape_character")                         \
    X(ERR_INVALID_REGEX, "2201B", "invalid_regular_expression")                        \
    X(ERR_INVALID_LOG_ARGUMENT, "2201E", "invalid_argument_for_logarithm")             \
    X(ERR_INVALID_POWER_ARGUMENT, "2201F", "invalid_argument_for_power_function")      \
    X(ERR_INVALID_WIDTH_BUCKET, "2201G", "invalid_argument_for_width_bucket_function") \
    X(ERR_INVALID_ROW_LIMIT, "2201W", "invalid_row_count_in_limit_clause")             \
    X(ERR_INVALID_ROW_OFFSET, "2201X", "invalid_row_count_in_result_offset_clause")    \
    X(ERR_SEQUENCE_LIMIT, "2200H", "sequence_generator_limit_exceeded")                \
    X(ERR_NOT_IN_REPERTOIRE, "22021", "character_not_in_repertoire")                   \
    X(ERR_INVALID_PARAMETER_VALUE, "22023", "invalid_parameter_value")                 \
    X(ERR_INVALID_ESCAPE_SEQUENCE, "22025", "invalid_escape_sequence")                 \
    X(ERR_ARRAY_SUBSCRIPT, "2202E", "array_subscript_error")                           \
    X(ERR_INVALID_TEXT, "22P02", "invalid_text_representation")                        \
    X(ERR_INVALID_BINARY, "22P03", "invalid_binary_representation")                    \
    X(ERR_BAD_COPY_FORMAT, "22P04", "bad_copy_file_format")                            \
    X(ERR_UNTRANSLATABLE, "22P05", "untranslatable_character")                         \
    X(ERR_RESTRICT, "23001", "restrict_violation")                                     \
    X(ERR_NOT_NULL, "23502", "not_null_violation")                                     \
    X(ERR_FOREIGN_KEY, "23503", "foreign_key_violation")                               \
    X(ERR_UNIQUE, "23505", "unique_violation")                                         \
    X(ERR_CHECK, "23514", "check_violation")                                           \
    X(ERR_INVALID_CURSOR_STATE, "24000", "invalid_cursor_state")                       \
    X(ERR_ACTIVE_TRANSACTION, "25001", "active_sql_transaction")                       \
    X(ERR_READ_ONLY_TRANSACTION, "25006", "read_only_sql_transaction")                 \
    X(ERR_NO_ACTIVE_TRANSACTION, "25P01", "no_active_sql_transaction")                 \
    X(ERR_IN_FAILED_TRANSACTION, "25P02", "in_failed_sql_transaction")                 \
    X(ERR_IDLE_IN_TRANSACTION_TIMEOUT, "25P03", "idle_in_transaction_session_timeout") \
    X(ERR_INVALID_STATEMENT_NAME, "26000", "invalid_sql_statement_name")               \
    X(ERR_INVALID_AUTHORIZATION, "28000", "invalid_authorization_specification")       \
    X(ERR_INVALID_PASSWORD, "28P01", "invalid_password")                               \
    X(ERR_DEPENDENT_OBJECTS, "2BP01", "dependent_objects_still_exist")                 \
    X(ERR_INVALID_CURSOR_NAME, "34000", "invalid_cursor_name")                         \
    X(ERR_INVALID_GRANT, "0LP01", "invalid_grant_operation")                           \
    X(ERR_INVALID_SAVEPOINT, "3B001", "invalid_savepoint_specification")               \
    X(ERR_INVALID_CATALOG_NAME, "3D000", "invalid_catalog_name")                       \
    X(ERR_INVALID_SCHEMA_NAME, "3F000", "invalid_schema_name")                         \
    X(ERR_SERIALIZATION, "40001", "serialization_failure")                             \
    X(ERR_DEADLOCK, "40P01", "deadlock_detected")                                      \
    X(ERR_INSUFFICIENT_PRIVILEGE, "42501", "insufficient_privilege")                   \
    X(ERR_SYNTAX, "42601", "syntax_error")                                             \
    X(ERR_INVALID_NAME, "42602", "invalid_name")                                       \
    X(ERR_NAME_TOO_LONG, "42622", "name_too_long")                                     \
    X(ERR_RESERVED_NAME, "42939", "reserved_name")                                     \
    X(ERR_DUPLICATE_COLUMN, "42701", "duplicate_column")                               \
    X(ERR_AMBIGUOUS_COLUMN, "42702", "ambiguous_column")                               \
    X(ERR_UNDEFINED_COLUMN, "42703", "undefined_column")                               \
    X(ERR_UNDEFINED_OBJECT, "42704", "undefined_object")                               \
    X(ERR_DUPLICATE_OBJECT, "42710", "duplicate_object")                               \
    X(ERR_DUPLICATE_ALIAS, "42712", "duplicate_alias")                                 \
    X(ERR_DUPLICATE_FUNCTION, "42723", "duplicate_function")                           \
    X(ERR_INVALID_FUNCTION_DEFINITION, "42P13", "invalid_function_definition")         \
    X(ERR_AMBIGUOUS_FUNCTION, "42725", "ambiguous_function")                           \
    X(ERR_GROUPING, "42803", "grouping_error")                                         \
    X(ERR_INVALID_FOREIGN_KEY, "42830", "invalid_foreign_key")                         \
    X(ERR_WINDOWING, "42P20", "windowing_error")                                       \
    X(ERR_INVALID_RECURSION, "42P19", "invalid_recursion")                             \
    X(ERR_FRAME_OFFSET, "22013", "invalid_preceding_or_following_size")                \
    X(ERR_NTILE_ARGUMENT, "22014", "invalid_argument_for_ntile_function")              \
    X(ERR_NTH_VALUE_ARGUMENT, "22016", "invalid_argument_for_nth_value_function")      \
    X(ERR_DATATYPE_MISMATCH, "42804", "datatype_mismatch")                             \
    X(ERR_WRONG_OBJECT_TYPE, "42809", "wrong_object_type")                             \
    X(ERR_CANNOT_COERCE, "42846", "cannot_coerce")                                     \
    X(ERR_UNDEFINED_FUNCTION, "42883", "undefined_function")                           \
    X(ERR_GENERATED_ALWAYS, "428C9", "generated_always")                               \
    X(ERR_UNDEFINED_TABLE, "42P01", "undefined_table")                                 \
    X(ERR_UNDEFINED_PARAMETER, "42P02", "undefined_parameter")                         \
    X(ERR_DUPLICATE_CURSOR, "42P03", "duplicate_cursor")                               \
    X(ERR_DUPLICATE_DATABASE, "42P04", "duplicate_database")                           \
    X(ERR_DUPLICATE_PREPARED, "42P05", "duplicate_prepared_statement")                 \
    X(ERR_DUPLICATE_SCHEMA, "42P06", "duplicate_schema")                               \
    X(ERR_DUPLICATE_TABLE, "42P07", "duplicate_table")                                 \
    X(ERR_AMBIGUOUS_PARAMETER, "42P08", "ambiguous_parameter")                         \
    X(ERR_INVALID_COLUMN_REFERENCE, "42P10", "invalid_column_reference")               \
    X(ERR_INVALID_OBJECT_DEFINITION, "42P17", "invalid_object_definition")             \
    X(ERR_INVALID_TABLE_DEFINITION, "42P16", "invalid_table_definition")               \
    X(ERR_INDETERMINATE_DATATYPE, "42P18", "indeterminate_datatype")                   \
    X(ERR_LIMIT, "53200", "out_of_memory")                                             \
    X(ERR_DISK_FULL, "53100", "disk_full")                                             \
    X(ERR_TOO_MANY_CONNECTIONS, "53300", "too_many_connections")                       \
    X(ERR_CONFIGURATION_LIMIT, "53400", "configuration_limit_exceeded")                \
    X(ERR_PROGRAM_LIMIT, "54000", "program_limit_exceeded")                            \
    X(ERR_STATEMENT_TOO_COMPLEX, "54001", "statement_too_complex")                     \
    X(ERR_TOO_MANY_COLUMNS, "54011", "too_many_columns")                               \
    X(ERR_TOO_MANY_ARGUMENTS, "54023", "too_many_arguments")                           \
    X(ERR_CHECK_OPTION, "44000", "with_check_option_violation")                        \
    X(ERR_OBJECT_STATE, "55000", "object_not_in_prerequisite_state")                   \
    X(ERR_OBJECT_IN_USE, "55006", "object_in_use")                                     \
    X(ERR_CANT_CHANGE_PARAMETER, "55P02", "cant_change_runtime_param")                 \
    X(ERR_LOCK_NOT_AVAILABLE, "55P03", "lock_not_available")                           \
    X(ERR_QUERY_CANCELED, "57014", "query_canceled")                                   \
    X(ERR_ADMIN_SHUTDOWN, "57P01", "admin_shutdown")                                   \
    X(ERR_CANNOT_CONNECT_NOW, "57P03", "cannot_connect_now")                           \
    X(ERR_IDLE_SESSION_TIMEOUT, "57P05", "idle_session_timeout")                       \
    X(ERR_NOTIFIED, "57N00", "woken_for_a_notification")                               \
    X(ERR_IO, "58030", "io_error")                                                     \
    X(ERR_UNDEFINED_FILE, "58P01", "undefined_file")                                   \
    X(ERR_SNAPSHOT_TOO_OLD, "72000", "snapshot_too_old")                               \
    X(ERR_CONFIG_FILE, "F0000", "config_file_error")                                   \
    X(ERR_IDEMPOTENCY_MISMATCH, "TI001", "idempotency_key_of_another_request")         \
    X(ERR_IDEMPOTENCY_RESULT, "TI002", "idempotency_result_not_kept")                  \
    X(ERR_WRONG_BUCKET, "TR003", "bucket_is_elsewhere")                                \
    X(ERR_BUCKET_MOVING, "TR004", "bucket_is_moving")                                  \
    X(ERR_NODE_LEASE, "TR005", "node_has_no_lease")                                    \
    X(ERR_REPLICATED_BEHIND, "TR006", "replicated_tables_of_another_version")          \
    X(ERR_REPLICATED_PARTLY, "TR007", "replicated_change_not_everywhere")              \
    X(ERR_SAGA_KEY, "TS002", "saga_key_of_another_request")                            \
    X(ERR_SAGA_CHANGED, "TS003", "saga_undo_of_a_changed_row")                         \
    X(ERR_SAGA_NO_ROWS, "TS005", "saga_step_without_rows")                             \
    X(ERR_SAGA_EPOCH, "TS009", "saga_step_under_old_epoch")                            \
    X(ERR_SAGA_TOMBSTONE, "TS010", "saga_step_was_undone")                             \
    X(ERR_SAGA_UNSETTLED, "TS011", "saga_reads_cannot_be_settled")                     \
    X(ERR_INTERNAL, "XX000", "internal_error")                                         \
    X(ERR_CORRUPT, "XX001", "data_corrupted")                                          \
    X(ERR_INDEX_CORRUPT, "XX002", "index_corrupted")

/* The attribute sits on the type, so no function can forget it. clang honours that; gcc does not.
 */
#ifdef __clang__
#define ERR_MUST_USE __attribute__((warn_unused_result))
#else
#define ERR_MUST_USE
#endif

#define ERR_NAME(name, sqlstate, text) name,
enum ERR_MUST_USE err {
    ERR_LIST(ERR_NAME) ERR_COUNT
};

enum {
    DIAG_TEXT_MAX = 512, /* bytes of message, detail and hint, the final NUL included */
    DIAG_CONTEXT_MAX = 256,
    DIAG_NAME_MAX = 64,
};

/* What went wrong, in words a client can read. Owned by the session; one error at a time. Longer
 * words are cut at a UTF-8 boundary and end in "...". Message style: PostgreSQL's guide (message
 * lower case without full stop; detail and hint whole sentences). */
struct diag {
    enum err code;
    uint32_t position; /* 1-based character in the statement's text; 0: none */
    int line;
    const char *file;    /* where it was raised */
    const char *routine; /* PostgreSQL's name for that place, where clients look at it; or NULL */
    char message[DIAG_TEXT_MAX];
    char detail[DIAG_TEXT_MAX]; /* "" where there is none, as all below */
    char hint[DIAG_TEXT_MAX];
    char context[DIAG_CONTEXT_MAX]; /* where, if not in the statement's text: a line of a COPY */
    char schema[DIAG_NAME_MAX];
    char table[DIAG_NAME_MAX];
    char column[DIAG_NAME_MAX];
    char constraint[DIAG_NAME_MAX];
};

/* A fresh diag; cheap (it does not clear the text arrays, only their first bytes). */
void diag_clear(struct diag *diag);

const char *err_sqlstate(enum err code);
/* Of its five characters. ERR_OK: none has it. */
enum err err_of_sqlstate(const char *sqlstate);
const char *err_condition(enum err code);

/* Record an error and return its code, so that raising one is a single statement. Clears what the
 * diag held. diag may be NULL: then only the code travels. */
#define diag_set(diag, code, ...) diag_set_at((diag), (code), __FILE__, __LINE__, __VA_ARGS__)
enum err diag_set_at(struct diag *diag, enum err code, const char *file, int line, const char *fmt,
    ...) __attribute__((format(printf, 5, 6)));

/* Add to the error just set. No-ops on NULL. */
void diag_detail(struct diag *diag, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void diag_hint(struct diag *diag, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void diag_context(struct diag *diag, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, on a line of its own behind what is there. */
void diag_context_add(struct diag *diag, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void diag_position(struct diag *diag, uint32_t position);
/* Any may be NULL. */
void diag_names(struct diag *diag, const char *schema, const char *table, const char *column,
    const char *constraint);

#define TRY(call)                  \
    do {                           \
        enum err try_err = (call); \
        if (try_err != ERR_OK)     \
            return try_err;        \
    } while (0)

#endif /* BASE_ERR_H */
