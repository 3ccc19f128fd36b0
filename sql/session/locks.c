/*
 * sql/session/locks.c - locks in SQL: pg_locks, advisory locks, who is blocked by whom.
 */
#include <string.h>

#include "sql/session/session_internal.h"

/* Columns of pg_locks. */
enum {
    LOCKTYPE = 0,
    DATABASE = 1,
    RELATION = 2,
    TRANSACTIONID = 6,
    CLASSID = 7,
    OBJID = 8,
    OBJSUBID = 9,
    PID = 11,
    MODE = 12,
    GRANTED = 13,
    FASTPATH = 14,
    COLUMNS = 16,
    SIREAD_LINES_MAX = 100 * 1000,
};

static struct datum
text_datum(const char *text)
{
    return datum_bytes(text, strlen(text));
}

/* ---- pg_locks -------------------------------------------------------------------------------- */

/* Its OID; and of which database it is. */
static oid_t
relation_of_tree(const struct catalog *whole, uint64_t tree, oid_t *database)
{
    const struct index *index;
    const struct relation *relation = catalog_relation_of_tree(whole, (tree_id_t){tree}, &index);
    *database = relation == NULL ? 0 : relation->database;
    return relation == NULL ? 0 : index != NULL && !index->primary ? index->oid : relation->oid;
}

static oid_t
database_of_relation(const struct catalog *whole, oid_t oid, oid_t otherwise)
{
    const struct relation *relation = catalog_relation_by_oid(whole, oid);
    return relation == NULL ? otherwise : relation->database;
}

static const char *
lock_mode(const struct txn_lock_line *line)
{
    if (line->kind == TXN_LOCK_LINE_TXN) {
        return line->granted ? "ExclusiveLock" : "ShareLock";
    }
    return line->kind == TXN_LOCK_LINE_ROW ? txn_row_lock_name(line->mode)
                                           : txn_table_lock_name(line->mode);
}

/* One line for each table or index that a serializable transaction has read of; which ranges of it
 * says tusk_serializable_reads. */
static enum err
emit_siread(struct eval *eval, const struct catalog *whole,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    struct txn_read_line *lines;
    size_t count =
        txn_db_reads(eval->env->session->engine->db, eval->arena, SIREAD_LINES_MAX, &lines);
    enum err err = ERR_OK;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].filter != NULL) {
            txn_filter_release(lines[i].filter);
        }
        bool same = i > 0 && lines[i - 1].pid == lines[i].pid &&
                    lines[i - 1].state == lines[i].state && lines[i - 1].tree.v == lines[i].tree.v;
        oid_t database;
        oid_t oid = relation_of_tree(whole, lines[i].tree.v, &database);
        if (same || oid == 0 || err != ERR_OK) {
            continue;
        }
        struct datum values[COLUMNS];
        for (int c = 0; c < COLUMNS; c++) {
            values[c] = datum_null();
        }
        bool all = lines[i].low.size == 0 && !lines[i].has_high;
        values[LOCKTYPE] = text_datum(all ? "relation" : "tuple");
        values[DATABASE] = datum_int(database);
        values[RELATION] = datum_int(oid);
        values[PID] = lines[i].pid == 0 ? datum_null() : datum_int(lines[i].pid);
        values[MODE] = text_datum("SIReadLock");
        values[GRANTED] = datum_bool(true);
        values[FASTPATH] = datum_bool(false);
        err = emit(arg, values);
    }
    return err;
}

static enum err
scan_locks(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct txn_lock_line *lines;
    size_t count = txn_db_locks(eval->env->session->engine->db, eval->arena, &lines);
    const struct catalog *whole = catalog_whole(catalog);
    for (size_t i = 0; i < count; i++) {
        const struct txn_lock_line *line = &lines[i];
        struct datum values[COLUMNS];
        for (int c = 0; c < COLUMNS; c++) {
            values[c] = datum_null();
        }
        values[PID] = datum_int(line->owner_pid);
        values[MODE] = text_datum(lock_mode(line));
        values[GRANTED] = datum_bool(line->granted);
        values[FASTPATH] = datum_bool(line->fast);
        if (line->kind == TXN_LOCK_LINE_TXN) {
            values[LOCKTYPE] = text_datum("transactionid");
            values[TRANSACTIONID] =
                text_datum(arena_printf(eval->arena, "%llu", (unsigned long long)line->object));
        } else if (line->kind == TXN_LOCK_LINE_ADVISORY) {
            values[LOCKTYPE] = text_datum("advisory");
            values[DATABASE] = datum_int(line->scope);
            values[CLASSID] = datum_int((int64_t)(line->object >> 32));
            values[OBJID] = datum_int((int64_t)(line->object & UINT32_MAX));
            values[OBJSUBID] = datum_int(line->pair ? 2 : 1);
        } else {
            bool table = line->kind == TXN_LOCK_LINE_TABLE;
            oid_t database = line->scope;
            oid_t oid =
                table ? (oid_t)line->object : relation_of_tree(whole, line->object, &database);
            bool relation = line->object >> 32 == 0 || !table;
            if (table && relation) {
                database = database_of_relation(whole, oid, database);
            }
            values[DATABASE] = datum_int(database);
            values[LOCKTYPE] = text_datum(!relation ? "object" : table ? "relation" : "tuple");
            values[relation ? RELATION : OBJID] = datum_int(oid);
        }
        TRY(emit(arg, values));
    }
    return emit_siread(eval, whole, emit, arg);
}

/* ---- functions ------------------------------------------------------------------------------- */

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

static enum err
session_of(struct eval *eval, struct sql_session **session)
{
    *session = eval->env->session;
    return *session != NULL
               ? ERR_OK
               : diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session here");
}

/* One bigint, or two ints. */
static struct txn_advisory
advisory(const struct datum *args, int count, bool shared, bool session)
{
    uint64_t number = (uint64_t)args[0].i;
    if (count == 2) {
        number = number << 32 | ((uint64_t)args[1].i & UINT32_MAX);
    }
    return (struct txn_advisory){
        .number = number, .pair = count == 2, .shared = shared, .session = session};
}

static enum err
take(struct eval *eval, const struct txn_advisory *lock, bool wait, bool *taken)
{
    struct sql_session *session;
    TRY(session_of(eval, &session));
    return txn_lock_advisory(eval->task, session->txn, lock, wait, taken, eval->diag);
}

#define LOCK(name, is_shared, is_session)                                        \
    FN(name)                                                                     \
    {                                                                            \
        struct txn_advisory lock = advisory(args, count, is_shared, is_session); \
        bool taken = false;                                                      \
        *result = datum_int(0);                                                  \
        return take(eval, &lock, true, &taken);                                  \
    }                                                                            \
    FN(try_##name)                                                               \
    {                                                                            \
        struct txn_advisory lock = advisory(args, count, is_shared, is_session); \
        bool taken = false;                                                      \
        TRY(take(eval, &lock, false, &taken));                                   \
        *result = datum_bool(taken);                                             \
        return ERR_OK;                                                           \
    }

LOCK(lock, false, true)
LOCK(lock_shared, true, true)
LOCK(xact_lock, false, false)
LOCK(xact_lock_shared, true, false)

static enum err
give_back(struct eval *eval, const struct txn_advisory *lock, struct datum *result)
{
    struct sql_session *session;
    TRY(session_of(eval, &session));
    bool had = txn_unlock_advisory(session->txn, lock);
    if (!had) {
        session__warn(session, "WARNING", ERR_WARNING, "you don't own a lock of type %s",
            lock->shared ? "ShareLock" : "ExclusiveLock");
    }
    *result = datum_bool(had);
    return ERR_OK;
}

FN(unlock)
{
    struct txn_advisory lock = advisory(args, count, false, true);
    return give_back(eval, &lock, result);
}

FN(unlock_shared)
{
    struct txn_advisory lock = advisory(args, count, true, true);
    return give_back(eval, &lock, result);
}

FN(unlock_all)
{
    (void)args;
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    txn_unlock_all_advisory(session->txn);
    *result = datum_int(0);
    return ERR_OK;
}

static struct datum
pid_array(struct eval *eval, const uint32_t *pids, size_t count)
{
    struct datum *values = arena_array(eval->arena, count + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i] = datum_int(pids[i]);
    }
    return array_make(eval->arena, TYPE_INT4, false, values, (uint32_t)count);
}

FN(blocking_pids)
{
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    uint32_t *pids;
    size_t found = txn_blocking_pids(session->engine->db, (uint32_t)args[0].i, eval->arena, &pids);
    *result = pid_array(eval, pids, found);
    return ERR_OK;
}

FN(safe_snapshot_blocking_pids)
{
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    uint32_t *pids;
    size_t found = txn_safe_snapshot_blocking_pids(
        session->engine->db, (uint32_t)args[0].i, eval->arena, &pids);
    *result = pid_array(eval, pids, found);
    return ERR_OK;
}

static bool
any_of(const uint32_t *pids, size_t count, const struct datum *among, uint32_t among_count)
{
    for (size_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < among_count; j++) {
            if (!among[j].null && among[j].i == pids[i]) {
                return true;
            }
        }
    }
    return false;
}

/* pg_isolation_test_session_is_blocked(pid, by any of pids) */
FN(session_is_blocked)
{
    (void)count;
    struct sql_session *session;
    TRY(session_of(eval, &session));
    struct txn_db *db = session->engine->db;
    struct datum *among;
    uint32_t among_count = array_elements(eval->arena, args[1], &among);
    uint32_t pid = (uint32_t)args[0].i;
    uint32_t *pids;
    size_t found = txn_blocking_pids(db, pid, eval->arena, &pids);
    bool blocked = any_of(pids, found, among, among_count);
    if (!blocked) {
        found = txn_safe_snapshot_blocking_pids(db, pid, eval->arena, &pids);
        blocked = any_of(pids, found, among, among_count);
    }
    *result = datum_bool(blocked);
    return ERR_OK;
}

enum {
    VOLATILE = FUNCTION_STRICT | FUNCTION_VOLATILE,
    ADVISORY = VOLATILE | FUNCTION_ADVISORY,
};

#define BOTH(name, type, call)                                                  \
    {name, 0, type, 1, 1, ADVISORY, {TYPE_INT8}, call, NULL, NULL},             \
    {                                                                           \
        name, 0, type, 2, 2, ADVISORY, {TYPE_INT4, TYPE_INT4}, call, NULL, NULL \
    }

static const struct function functions[] = {
    BOTH("pg_advisory_lock", TYPE_VOID, lock),
    BOTH("pg_advisory_lock_shared", TYPE_VOID, lock_shared),
    BOTH("pg_advisory_xact_lock", TYPE_VOID, xact_lock),
    BOTH("pg_advisory_xact_lock_shared", TYPE_VOID, xact_lock_shared),
    BOTH("pg_try_advisory_lock", TYPE_BOOL, try_lock),
    BOTH("pg_try_advisory_lock_shared", TYPE_BOOL, try_lock_shared),
    BOTH("pg_try_advisory_xact_lock", TYPE_BOOL, try_xact_lock),
    BOTH("pg_try_advisory_xact_lock_shared", TYPE_BOOL, try_xact_lock_shared),
    BOTH("pg_advisory_unlock", TYPE_BOOL, unlock),
    BOTH("pg_advisory_unlock_shared", TYPE_BOOL, unlock_shared),
    {"pg_advisory_unlock_all", 0, TYPE_VOID, 0, 0, ADVISORY, {0}, unlock_all, NULL, NULL},
    {"pg_blocking_pids", 0, TYPE_INT4_ARRAY, 1, 1, VOLATILE, {TYPE_INT4}, blocking_pids, NULL,
        NULL},
    {"pg_safe_snapshot_blocking_pids", 0, TYPE_INT4_ARRAY, 1, 1, VOLATILE, {TYPE_INT4},
        safe_snapshot_blocking_pids, NULL, NULL},
    {"pg_isolation_test_session_is_blocked", 0, TYPE_BOOL, 2, 2, VOLATILE,
        {TYPE_INT4, TYPE_INT4_ARRAY}, session_is_blocked, NULL, NULL},
};

void
locks__register(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
    catalog_set_virtual_scan("pg_locks", scan_locks);
}
