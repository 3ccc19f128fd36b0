/*
 * libpq as a C program uses it: asynchronous calls, pipelines, binary formats, COPY, cancel,
 * notify. Prints `ok WHAT` or `not ok WHAT: WHY` for each thing it tried (tests/clients/run.py).
 */
#include <arpa/inet.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static PGconn *db;
static char why[1024];

/* Remember the first thing that is not as it should be. */
static bool
hold(bool fine, const char *what)
{
    if (!fine && why[0] == '\0') {
        (void)snprintf(why, sizeof why, "%s; %s", what, db == NULL ? "" : PQerrorMessage(db));
        for (char *at = why; *at != '\0'; at++) {
            *at = *at == '\n' ? ' ' : *at;
        }
    }
    return fine;
}

static void
attempt(const char *what, void (*run)(void))
{
    why[0] = '\0';
    run();
    if (PQstatus(db) != CONNECTION_OK || PQpipelineStatus(db) != PQ_PIPELINE_OFF) {
        (void)hold(false, "the connection was left in a bad state");
        PQreset(db);
    }
    if (PQtransactionStatus(db) != PQTRANS_IDLE) {
        PQclear(PQexec(db, "rollback"));
    }
    (void)printf(why[0] == '\0' ? "ok %s\n" : "not ok %s: %s\n", what, why);
    (void)fflush(stdout);
}

static bool
is(PGresult *result, ExecStatusType status)
{
    bool fine = hold(PQresultStatus(result) == status, PQresStatus(PQresultStatus(result)));
    PQclear(result);
    return fine;
}

static void
run(const char *sql)
{
    PGresult *result = PQexec(db, sql);
    ExecStatusType status = PQresultStatus(result);
    (void)hold(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, sql);
    PQclear(result);
}

static bool
value_is(const PGresult *result, int row, int column, const char *wanted)
{
    return hold(result != NULL && PQntuples(result) > row && PQnfields(result) > column &&
                    strcmp(PQgetvalue(result, row, column), wanted) == 0,
        wanted);
}

/* Sleep until the socket may be read or written. */
static void
await(bool to_write)
{
    struct pollfd one = {.fd = PQsocket(db), .events = to_write ? POLLIN | POLLOUT : POLLIN};
    (void)hold(poll(&one, 1, 20000) > 0, "nothing came for 20 s");
}

static PGresult *
next_result(void)
{
    while (why[0] == '\0' && PQisBusy(db)) {
        await(false);
        (void)hold(PQconsumeInput(db) == 1, "PQconsumeInput");
    }
    return why[0] == '\0' ? PQgetResult(db) : NULL;
}

static void
try_connecting_asynchronously(void)
{
    PQfinish(db);
    db = PQconnectStart("application_name=libpq connect_timeout=20");
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED && why[0] == '\0') {
        await(state == PGRES_POLLING_WRITING);
        state = PQconnectPoll(db);
    }
    (void)hold(state == PGRES_POLLING_OK, "PQconnectPoll");
    (void)hold(PQserverVersion(db) / 10000 == 15, "PQserverVersion");
    (void)hold(strcmp(PQparameterStatus(db, "integer_datetimes"), "on") == 0, "integer_datetimes");
    (void)hold(strcmp(PQparameterStatus(db, "application_name"), "libpq") == 0, "application_name");
}

static void
try_asynchronous_queries(void)
{
    (void)hold(PQsetnonblocking(db, 1) == 0, "PQsetnonblocking");
    (void)hold(PQsendQuery(db, "select 1; select 'two'; select 1/0; select 4") == 1, "PQsendQuery");
    while (why[0] == '\0' && PQflush(db) == 1) {
        await(true);
    }
    PGresult *result = next_result();
    (void)value_is(result, 0, 0, "1");
    PQclear(result);
    result = next_result();
    (void)value_is(result, 0, 0, "two");
    PQclear(result);
    result = next_result();
    (void)hold(PQresultStatus(result) == PGRES_FATAL_ERROR &&
                   strcmp(PQresultErrorField(result, PG_DIAG_SQLSTATE), "22012") == 0,
        "division by zero");
    PQclear(result);
    (void)hold(next_result() == NULL, "the rest is skipped");
    (void)PQsetnonblocking(db, 0);
}

static void
try_single_rows(void)
{
    (void)hold(
        PQsendQuery(db, "select g, repeat('x', 1000) from generate_series(1, 5000) g") == 1 &&
            PQsetSingleRowMode(db) == 1,
        "PQsetSingleRowMode");
    int rows = 0;
    PGresult *result = NULL;
    while ((result = next_result()) != NULL) {
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
            rows += PQntuples(result);
        } else {
            (void)hold(PQresultStatus(result) == PGRES_TUPLES_OK, "its end");
        }
        PQclear(result);
    }
    (void)hold(rows == 5000, "5000 single rows");
}

static void
try_errors(void)
{
    run("create table le (id int constraint le_key primary key, t text not null, "
        "constraint le_check check (id < 10))");
    run("insert into le values (1, 'x')");
    const struct {
        const char *sql, *state, *table, *column, *constraint;
    } cases[] = {
        {"insert into le values (1, 'x')", "23505", "le", NULL, "le_key"},
        {"insert into le values (2, null)", "23502", "le", "t", NULL},
        {"insert into le values (11, 'x')", "23514", "le", NULL, "le_check"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        PGresult *result = PQexec(db, cases[i].sql);
        const char *table = PQresultErrorField(result, PG_DIAG_TABLE_NAME);
        const char *column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
        const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
        (void)hold(strcmp(PQresultErrorField(result, PG_DIAG_SQLSTATE), cases[i].state) == 0 &&
                       table != NULL && strcmp(table, cases[i].table) == 0 &&
                       (cases[i].column == NULL ||
                           (column != NULL && strcmp(column, cases[i].column) == 0)) &&
                       (cases[i].constraint == NULL ||
                           (constraint != NULL && strcmp(constraint, cases[i].constraint) == 0)),
            cases[i].sql);
        PQclear(result);
    }
    PGresult *result = PQexec(db, "select 1,\n  nothing from le");
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    (void)hold(position != NULL && strcmp(position, "13") == 0, "position");
    (void)hold(strstr(PQresultErrorMessage(result), "LINE 2:   nothing from le") != NULL, "caret");
    PQclear(result);
}

static void
try_binary(void)
{
    uint32_t number = htonl(42);
    uint8_t eight[8] = {0, 0, 0, 1, 0, 0, 0, 0};
    const uint8_t blob[] = {0, 255, '\\', 0, 7};
    const Oid types[] = {23, 20, 17, 25};
    const char *values[] = {(char *)&number, (char *)eight, (const char *)blob, NULL};
    const int sizes[] = {4, 8, sizeof blob, 0};
    const int formats[] = {1, 1, 1, 0};
    PGresult *result =
        PQexecParams(db, "select $1 + 1, $2, $3, $4 is null", 4, types, values, sizes, formats, 1);
    (void)hold(PQresultStatus(result) == PGRES_TUPLES_OK, "PQexecParams");
    if (why[0] == '\0') {
        uint32_t got;
        memcpy(&got, PQgetvalue(result, 0, 0), 4);
        (void)hold(PQfformat(result, 0) == 1 && PQgetlength(result, 0, 0) == 4 && ntohl(got) == 43,
            "int4");
        (void)hold(memcmp(PQgetvalue(result, 0, 1), eight, 8) == 0, "int8");
        (void)hold(PQgetlength(result, 0, 2) == sizeof blob &&
                       memcmp(PQgetvalue(result, 0, 2), blob, sizeof blob) == 0,
            "bytea");
        (void)hold(PQgetvalue(result, 0, 3)[0] == 1, "null");
    }
    PQclear(result);
    size_t size = 0;
    unsigned char *escaped = PQescapeByteaConn(db, blob, sizeof blob, &size);
    char sql[200];
    (void)snprintf(sql, sizeof sql, "select '%s'::bytea", (char *)escaped);
    result = PQexec(db, sql);
    unsigned char *back = PQunescapeBytea((unsigned char *)PQgetvalue(result, 0, 0), &size);
    (void)hold(size == sizeof blob && memcmp(back, blob, size) == 0, "escaped bytea");
    PQfreemem(escaped);
    PQfreemem(back);
    PQclear(result);
}

static void
try_prepared(void)
{
    (void)is(PQprepare(db, "p", "select $1::text || $2, $3::numeric", 3, NULL), PGRES_COMMAND_OK);
    PGresult *described = PQdescribePrepared(db, "p");
    (void)hold(PQnparams(described) == 3 && PQparamtype(described, 0) == 25 &&
                   PQparamtype(described, 2) == 1700 && PQnfields(described) == 2 &&
                   PQftype(described, 1) == 1700,
        "PQdescribePrepared");
    PQclear(described);
    for (int i = 0; i < 8; i++) {
        const char *values[] = {"a", "b", "1.50"};
        PGresult *result = PQexecPrepared(db, "p", 3, values, NULL, NULL, 0);
        (void)value_is(result, 0, 0, "ab");
        (void)value_is(result, 0, 1, "1.50");
        PQclear(result);
    }
    run("begin");
    run("declare c scroll cursor for select generate_series(1, 3) as n");
    described = PQdescribePortal(db, "c");
    (void)hold(
        PQnfields(described) == 1 && strcmp(PQfname(described, 0), "n") == 0, "PQdescribePortal");
    PQclear(described);
    run("commit");
}

/* The next result of a pipeline, and the NULL behind it. */
static bool
pipelined(ExecStatusType status, const char *wanted)
{
    PGresult *result = next_result();
    bool fine = hold(PQresultStatus(result) == status, PQresStatus(PQresultStatus(result))) &&
                (wanted == NULL || value_is(result, 0, 0, wanted));
    PQclear(result);
    if (status != PGRES_PIPELINE_SYNC) {
        fine = hold(next_result() == NULL, "NULL behind a result") && fine;
    }
    return fine;
}

static void
try_pipeline(void)
{
    run("create table lp (id int primary key)");
    (void)hold(PQenterPipelineMode(db) == 1, "PQenterPipelineMode");
    for (int i = 0; i < 100; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        const char *values[] = {text};
        (void)hold(PQsendQueryParams(db, "insert into lp values ($1::int) returning id", 1, NULL,
                       values, NULL, NULL, 0) == 1,
            "send");
    }
    (void)hold(PQpipelineSync(db) == 1, "sync");
    const char *seven[] = {"7"};
    (void)PQsendQueryParams(db, "select 'before'", 0, NULL, NULL, NULL, NULL, 0);
    (void)PQsendQueryParams(db, "insert into lp values ($1::int)", 1, NULL, seven, NULL, NULL, 0);
    (void)PQsendQueryParams(db, "select 'skipped'", 0, NULL, NULL, NULL, NULL, 0);
    (void)hold(PQpipelineSync(db) == 1, "sync");
    (void)PQsendPrepare(db, "lp", "select count(*) from lp", 0, NULL);
    (void)PQsendQueryPrepared(db, "lp", 0, NULL, NULL, NULL, 0);
    (void)PQsendDescribePrepared(db, "lp");
    (void)hold(PQsendFlushRequest(db) == 1 && PQflush(db) == 0, "PQsendFlushRequest");
    for (int i = 0; i < 100; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        (void)pipelined(PGRES_TUPLES_OK, text);
    }
    (void)pipelined(PGRES_PIPELINE_SYNC, NULL);
    (void)pipelined(PGRES_TUPLES_OK, "before");
    (void)pipelined(PGRES_FATAL_ERROR, NULL);
    (void)pipelined(PGRES_PIPELINE_ABORTED, NULL);
    (void)pipelined(PGRES_PIPELINE_SYNC, NULL);
    (void)pipelined(PGRES_COMMAND_OK, NULL);
    (void)pipelined(PGRES_TUPLES_OK, "100"); /* before any sync: the flush has asked for it */
    (void)pipelined(PGRES_COMMAND_OK, NULL);
    (void)PQpipelineSync(db);
    (void)pipelined(PGRES_PIPELINE_SYNC, NULL);
    (void)hold(PQexitPipelineMode(db) == 1, "PQexitPipelineMode");
}

static void
try_copy(void)
{
    run("create table lc (id int primary key, t text)");
    (void)is(PQexec(db, "copy lc from stdin (format csv)"), PGRES_COPY_IN);
    for (int i = 0; i < 2000; i++) {
        char line[64];
        int size = snprintf(line, sizeof line, "%d,\"a \"\"%d\"\"\"\n", i, i);
        (void)hold(PQputCopyData(db, line, size) == 1, "PQputCopyData");
    }
    (void)hold(PQputCopyEnd(db, NULL) == 1, "PQputCopyEnd");
    PGresult *result = PQgetResult(db);
    (void)hold(strcmp(PQcmdTuples(result), "2000") == 0, "COPY 2000");
    PQclear(result);
    (void)hold(PQgetResult(db) == NULL, "its end");

    (void)is(PQexec(db, "copy lc from stdin"), PGRES_COPY_IN);
    (void)hold(PQputCopyEnd(db, "changed my mind") == 1, "PQputCopyEnd");
    result = PQgetResult(db);
    (void)hold(PQresultStatus(result) == PGRES_FATAL_ERROR &&
                   strstr(PQresultErrorMessage(result), "changed my mind") != NULL,
        "CopyFail");
    PQclear(result);
    (void)hold(PQgetResult(db) == NULL, "its end");

    (void)is(
        PQexec(db, "copy (select * from lc where id < 3 order by id) to stdout (format binary)"),
        PGRES_COPY_OUT);
    char *bytes = NULL;
    char binary[4096];
    size_t size = 0;
    int got;
    while ((got = PQgetCopyData(db, &bytes, 0)) > 0) {
        if (size + (size_t)got <= sizeof binary) {
            memcpy(binary + size, bytes, (size_t)got);
            size += (size_t)got;
        }
        PQfreemem(bytes);
    }
    (void)hold(got == -1 && size > 19 && memcmp(binary, "PGCOPY\n\377\r\n", 11) == 0, "binary out");
    PQclear(PQgetResult(db));
    (void)hold(PQgetResult(db) == NULL, "its end");
    run("truncate lc");
    (void)is(PQexec(db, "copy lc from stdin (format binary)"), PGRES_COPY_IN);
    (void)hold(
        PQputCopyData(db, binary, (int)size) == 1 && PQputCopyEnd(db, NULL) == 1, "binary in");
    (void)is(PQgetResult(db), PGRES_COMMAND_OK);
    (void)hold(PQgetResult(db) == NULL, "its end");
    result = PQexec(db, "select string_agg(t, ',' order by id) from lc");
    (void)value_is(result, 0, 0, "a \"0\",a \"1\",a \"2\"");
    PQclear(result);
}

static void
try_cancel(void)
{
    char error[256];
    PGcancel *cancel = PQgetCancel(db);
    (void)hold(PQsendQuery(db, "select pg_sleep(60)") == 1, "PQsendQuery");
    (void)usleep(200000);
    (void)hold(PQcancel(cancel, error, sizeof error) == 1, error);
    PGresult *result = PQgetResult(db);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    (void)hold(state != NULL && strcmp(state, "57014") == 0, "57014");
    PQclear(result);
    (void)hold(PQgetResult(db) == NULL, "its end");
    (void)hold(PQcancel(cancel, error, sizeof error) == 1, error); /* nothing runs: forgotten */
    (void)usleep(100000);
    run("select 1");
    PQfreeCancel(cancel);
}

static void
try_notify(void)
{
    run("listen \"News\"");
    PGconn *other = PQconnectdb("");
    PQclear(PQexec(other, "notify \"News\", 'first'; select pg_notify('News', 'second')"));
    PQfinish(other);
    const char *const wanted[] = {"first", "second"};
    for (int i = 0; i < 2 && why[0] == '\0';) {
        PGnotify *notify = PQnotifies(db);
        if (notify == NULL) {
            await(false);
            (void)hold(PQconsumeInput(db) == 1, "PQconsumeInput");
            continue;
        }
        (void)hold(strcmp(notify->relname, "News") == 0 && strcmp(notify->extra, wanted[i]) == 0 &&
                       notify->be_pid != PQbackendPID(db),
            notify->extra);
        PQfreemem(notify);
        i++;
    }
    run("unlisten *");
}

static int notice_count;

static void
on_notice(void *arg, const PGresult *result)
{
    (void)arg;
    notice_count += strcmp(PQresultErrorField(result, PG_DIAG_SQLSTATE), "00000") == 0;
}

static void
try_notices(void)
{
    PQnoticeReceiver before = PQsetNoticeReceiver(db, on_notice, NULL);
    run("drop table if exists nothing_here");
    (void)PQsetNoticeReceiver(db, before, NULL);
    (void)hold(notice_count == 1, "one notice");
}

static void
try_columns(void)
{
    run("create table ld (a int primary key, b varchar(7))");
    PGresult *result = PQexec(db, "select b as x, a, a + 1 from ld");
    PGresult *oid = PQexec(db, "select 'ld'::regclass::oid");
    (void)hold(PQftable(result, 0) == strtoul(PQgetvalue(oid, 0, 0), NULL, 10) &&
                   PQftablecol(result, 0) == 2 && PQftablecol(result, 1) == 1 &&
                   PQftable(result, 2) == 0 && PQfmod(result, 0) == 11 && PQfsize(result, 1) == 4 &&
                   PQfsize(result, 0) == -1 && PQfnumber(result, "X") == 0,
        "where columns come from");
    PQclear(result);
    PQclear(oid);
    char *escaped = PQescapeLiteral(db, "it's \\ so", 9);
    char *name = PQescapeIdentifier(db, "od\"d", 4);
    char sql[200];
    (void)snprintf(sql, sizeof sql, "select %s as %s", escaped, name);
    result = PQexec(db, sql);
    (void)value_is(result, 0, 0, "it's \\ so");
    (void)hold(strcmp(PQfname(result, 0), "od\"d") == 0, "name");
    PQclear(result);
    PQfreemem(escaped);
    PQfreemem(name);
}

static void
try_password(void)
{
    PGresult *result = PQexec(db, "create role libpq_user login");
    PQclear(result);
    char *kept = PQencryptPasswordConn(db, "open sesame", "libpq_user", "scram-sha-256");
    (void)hold(kept != NULL && strncmp(kept, "SCRAM-SHA-256$", 14) == 0, "PQencryptPasswordConn");
    char sql[400];
    (void)snprintf(sql, sizeof sql, "alter role libpq_user password '%s'", kept);
    run(sql);
    (void)snprintf(sql, sizeof sql,
        "select rolpassword = '%s' from pg_authid where rolname = 'libpq_user'", kept);
    result = PQexec(db, sql);
    (void)value_is(result, 0, 0, "t");
    PQclear(result);
    PQfreemem(kept);
    run("drop role libpq_user");
}

static void
try_function_call(void)
{
    /* Fast-path: 0A000 in Tusk, or its answer. */
    int answer = 0;
    int size = 0;
    PQArgBlock argument = {.len = 4, .isint = 1, .u = {.integer = 7}};
    PGresult *result = PQfn(db, 1397 /* abs(int4) */, &answer, &size, 1, &argument, 1);
    if (PQresultStatus(result) == PGRES_COMMAND_OK) {
        (void)hold(answer == 7, "abs(7)");
    } else {
        (void)hold(strcmp(PQresultErrorField(result, PG_DIAG_SQLSTATE), "0A000") == 0, "0A000");
    }
    PQclear(result);
}

int
main(void)
{
    db = PQconnectdb("");
    if (PQstatus(db) != CONNECTION_OK) {
        (void)printf("not ok connect: %s\n", PQerrorMessage(db));
        return 1;
    }
    attempt("PQconnectPoll", try_connecting_asynchronously);
    attempt("asynchronous queries, several in one", try_asynchronous_queries);
    attempt("single row mode", try_single_rows);
    attempt("errors with their fields", try_errors);
    attempt("binary parameters and results", try_binary);
    attempt("prepared statements and portals described", try_prepared);
    attempt("pipeline mode", try_pipeline);
    attempt("COPY in and out, text and binary", try_copy);
    attempt("PQcancel", try_cancel);
    attempt("notifications", try_notify);
    attempt("notices", try_notices);
    attempt("where columns come from, escapes", try_columns);
    attempt("PQencryptPasswordConn", try_password);
    attempt("fast-path", try_function_call);
    PQfinish(db);
    return 0;
}
