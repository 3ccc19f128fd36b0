/*
 * What DDL promises: it is transactional, names are claimed once, definitions survive a restart,
 * old snapshots do not see trees born after them, numbers are never given twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sql/catalog/edit.h"
#include "tests/unit/sql_catalog_util.h"

/* Is there such a relation for a new transaction? */
static bool
exists(struct fixture *f, const char *name)
{
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    bool found = catalog_relation(catalog, NULL, name) != NULL;
    catalog_release(catalog);
    fixture_commit(f);
    return found;
}

static void
run_transactional(struct fixture *f)
{
    fixture_begin(f);
    SAME(fixture_ddl(f, "CREATE TABLE a (x int PRIMARY KEY)"), ERR_OK);
    SAME(fixture_ddl(f, "CREATE INDEX a_x ON a (x)"), ERR_OK);
    struct catalog *own = fixture_catalog(f);
    const struct relation *a = catalog_relation(own, NULL, "a");
    ASSERT(a != NULL && a->index_count == 2);
    ASSERT(catalog_is_current(own, f->store, f->txn));
    SAME(fixture_ddl(f, "ALTER TABLE a ADD COLUMN y text"), ERR_OK);
    ASSERT(!catalog_is_current(own, f->store, f->txn));
    SAME(a->column_count, 1); /* C1 */
    catalog_release(own);
    fixture_rollback(f);
    ASSERT(!exists(f, "a"));

    fixture_run(f, "CREATE TABLE a (x int PRIMARY KEY)");
    ASSERT(exists(f, "a"));
    fixture_begin(f);
    SAME(fixture_ddl(f, "DROP TABLE a"), ERR_OK);
    SAME(fixture_ddl(f, "CREATE TABLE a (other text)"), ERR_OK);
    fixture_rollback(f);
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    SAME_TEXT(catalog_relation(catalog, NULL, "a")->columns[0].name, "x");
    catalog_release(catalog);
    fixture_commit(f);
    fixture_run(f, "DROP TABLE a");
}

/* ---- two at a time --------------------------------------------------------------------------- */

struct rival {
    struct fixture *first;
    _Atomic bool *done;
    enum err err;
    const char *sql;
};

static void
rival_main(struct task *task, void *arg)
{
    struct rival *rival = arg;
    struct fixture own = *rival->first;
    own.task = task;
    own.txn = txn_new(own.db, 2);
    arena_create(&own.arena, "rival");
    fixture_begin(&own);
    rival->err = fixture_ddl(&own, rival->sql);
    if (rival->err == ERR_OK) {
        fixture_commit(&own);
    } else {
        fixture_rollback(&own);
    }
    txn_delete(task, own.txn);
    arena_destroy(&own.arena);
    atomic_store(rival->done, true);
}

/* While the open transaction of f has run `mine`, a rival runs `theirs`; then f commits or not. */
static enum err
rival_result(struct fixture *f, const char *mine, const char *theirs, bool commit)
{
    struct diag diag;
    _Atomic bool done = false;
    struct rival rival = {.first = f, .done = &done, .sql = theirs};
    fixture_begin(f);
    SAME(fixture_ddl(f, mine), ERR_OK);
    OK(task_spawn(task_world(f->task), 0, "rival", rival_main, &rival, &diag));
    for (int i = 0; i < 20; i++) {
        task_park(f->task, world_clock_us(task_world(f->task)) + 1000);
        ASSERT(!atomic_load(&done)); /* it waits */
    }
    if (commit) {
        fixture_commit(f);
    } else {
        fixture_rollback(f);
    }
    AWAIT(f->task, atomic_load(&done));
    return rival.err;
}

static void
run_names(struct fixture *f)
{
    const char *create = "CREATE TABLE n (x int)";
    SAME(rival_result(f, create, create, true), ERR_DUPLICATE_TABLE);
    fixture_run(f, "DROP TABLE n");
    SAME(rival_result(f, create, create, false), ERR_OK);
    ASSERT(exists(f, "n"));
    /* An index and a table share the names of a schema. */
    SAME(rival_result(f, "CREATE TABLE i (x int)", "CREATE INDEX i ON n (x)", true),
        ERR_DUPLICATE_TABLE);
    SAME(rival_result(f, "DROP TABLE n", "ALTER TABLE n ADD COLUMN y int", true),
        ERR_UNDEFINED_TABLE);
    fixture_run(f, "DROP TABLE i");
    fixture_run(f, "CREATE SCHEMA s");
    SAME(rival_result(f, "DROP SCHEMA s", "CREATE TABLE s.t (x int)", true),
        ERR_INVALID_SCHEMA_NAME);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

static void
run_snapshots(struct fixture *f)
{
    struct diag diag;
    fixture_run(f, "CREATE TABLE c (x int)");
    struct txn *old = txn_new(f->db, 3);
    OK(txn_begin(f->task, old, TXN_REPEATABLE_READ, false, &diag));
    struct txn_snapshot snapshot = txn_statement_begin(old);
    struct catalog *before = NULL;
    OK(catalog_get(f->task, f->store, old, &before, &diag));
    OK(catalog_check_snapshot(catalog_relation(before, NULL, "c"), snapshot, &diag));
    fixture_run(f, "CREATE INDEX c_x ON c (x)");
    ASSERT(!catalog_is_current(before, f->store, old));
    struct catalog *after = NULL;
    OK(catalog_get(f->task, f->store, old, &after, &diag));
    const struct relation *c = catalog_relation(after, NULL, "c");
    SAME(c->index_count, 1);
    SAME(catalog_check_snapshot(c, snapshot, &diag), ERR_SERIALIZATION); /* C3 */
    SAME(catalog_relation(before, NULL, "c")->index_count, 0);
    catalog_release(before);
    catalog_release(after);
    txn_rollback(f->task, old);
    OK(txn_begin(f->task, old, TXN_REPEATABLE_READ, false, &diag));
    snapshot = txn_statement_begin(old);
    OK(catalog_get(f->task, f->store, old, &after, &diag));
    OK(catalog_check_snapshot(catalog_relation(after, NULL, "c"), snapshot, &diag));
    catalog_release(after);
    txn_rollback(f->task, old);
    txn_delete(f->task, old);
    fixture_run(f, "DROP TABLE c");
}

/* A row of one integer, committed by somebody else. */
static void
insert_row(struct fixture *f, const char *table, int64_t x)
{
    struct diag diag;
    uint64_t id;
    uint8_t key[8];
    struct buffer row = {0};
    struct datum value = datum_int(x);
    struct txn *txn = txn_new(f->db, 4);
    struct catalog *catalog = NULL;
    OK(txn_begin(f->task, txn, TXN_READ_COMMITTED, false, &diag));
    OK(catalog_get(f->task, f->store, txn, &catalog, &diag));
    const struct relation *relation = catalog_relation(catalog, NULL, table);
    OK(catalog_next_row_id(f->task, f->store, relation, &id, &diag));
    store_be64(key, id);
    row_encode(relation->layout, &value, &row);
    (void)txn_statement_begin(txn);
    OK(txn_insert(f->task, txn, relation->tree, slice_of(key, 8), slice_of(row.data, row.size),
        &f->arena, NULL, &diag));
    OK(txn_commit(f->task, txn, &diag));
    catalog_release(catalog);
    txn_delete(f->task, txn);
    buffer_destroy(&row);
}

/* An index built in REPEATABLE READ has the rows that its transaction sees, or is refused. */
static void
run_own_snapshot(struct fixture *f)
{
    struct diag diag;
    static const char *const statements[] = {"CREATE INDEX k_x ON k (x)",
        "ALTER TABLE k ADD UNIQUE (x)",
        "ALTER TABLE k ALTER COLUMN x SET NOT NULL, ADD PRIMARY KEY (x)"};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        for (int late = 0; late < 2; late++) {
            fixture_run(f, "CREATE TABLE k (x int)");
            insert_row(f, "k", 1);
            OK(txn_begin(f->task, f->txn, TXN_REPEATABLE_READ, false, &diag));
            (void)txn_statement_begin(f->txn);
            if (late == 1) {
                insert_row(f, "k", 2);
            }
            SAME(fixture_ddl(f, statements[i]), late == 1 ? ERR_SERIALIZATION : ERR_OK);
            fixture_rollback(f);
            fixture_run(f, "DROP TABLE k");
        }
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void
run_errors(struct fixture *f)
{
    fixture_run(f, "CREATE TABLE e (a int PRIMARY KEY, b text UNIQUE)");
    static const struct {
        const char *sql, *sqlstate; /* PostgreSQL 15's, or 0A000 */
    } cases[] = {
        {"CREATE TABLE e (x int)", "42P07"},
        {"CREATE TABLE z (a int, a int)", "42701"},
        {"CREATE TABLE z (a nosuch)", "42704"},
        {"CREATE TABLE z (a int, PRIMARY KEY (b))", "42703"},
        {"CREATE TABLE z (a int PRIMARY KEY, b int PRIMARY KEY)", "42P16"},
        {"CREATE TABLE z (a int REFERENCES nosuch)", "42P01"},
        {"CREATE TABLE z (a serial DEFAULT 1)", "42601"},
        {"CREATE TABLE nosuch.z (a int)", "3F000"},
        {"CREATE TABLE pg_catalog.z (a int)", "42501"},
        {"CREATE TABLE z (a varchar(0))", "22023"},
        {"CREATE TABLE z (a record)", "42P16"},
        {"CREATE INDEX ON e (nosuch)", "42703"},
        {"CREATE INDEX e ON e (a)", "42P07"},
        {"CREATE INDEX ON nosuch (a)", "42P01"},
        {"CREATE INDEX ON e USING gin (b)", "0A000"},
        {"CREATE SCHEMA public", "42P06"},
        {"DROP TABLE nosuch", "42P01"},
        {"DROP TABLE e_pkey", "42809"},
        {"DROP INDEX e", "42809"},
        {"DROP INDEX e_pkey", "2BP01"},
        {"DROP TABLE pg_class", "42501"},
        {"DROP SCHEMA nosuch", "3F000"},
        {"ALTER TABLE e ADD COLUMN a int", "42701"},
        {"ALTER TABLE e DROP COLUMN nosuch", "42703"},
        {"ALTER TABLE e ADD PRIMARY KEY (b)", "42P16"},
        {"ALTER TABLE e RENAME COLUMN a TO b", "42701"},
        {"ALTER TABLE e RENAME TO e_pkey", "42P07"},
        {"ALTER TABLE nosuch RENAME TO x", "42P01"},
        {"ALTER TABLE e DROP CONSTRAINT nosuch", "42704"},
        {"TRUNCATE nosuch", "42P01"},
        {"COMMENT ON COLUMN e.nosuch IS 'x'", "42703"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_fails(f, cases[i].sql, cases[i].sqlstate);
    }
    ASSERT(!exists(f, "z"));
    fixture_run(f, "DROP TABLE e");
}

/* ---- a restart ------------------------------------------------------------------------------- */

static void
check_definitions(struct fixture *f)
{
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    const struct relation *d = catalog_relation(catalog, "app", "d");
    SAME(d->column_count, 5);
    SAME_TEXT(d->columns[1].name, "name");
    SAME(d->columns[1].typmod, 24);
    ASSERT(d->columns[1].not_null);
    SAME_TEXT(d->columns[1].default_text, "'x'");
    SAME(d->columns[3].type, TYPE_INT4_ARRAY);
    ASSERT(d->columns[4].dropped);
    SAME(d->check_count, 1);
    SAME_TEXT(d->checks[0].text, "id > 0");
    SAME(d->index_count, 3);
    ASSERT(d->primary != NULL && d->primary->tree.v == d->tree.v); /* C5 */
    const struct relation *table;
    const struct index *index = catalog_index(catalog, "app", "d_i", &table);
    ASSERT(table == d && !index->unique && index->column_count == 2);
    SAME(index->flags[0], KEY_DESCENDING | KEY_NULLS_FIRST);
    SAME_TEXT(catalog_comment(catalog, CATALOG_CLASS_RELATION, d->oid, 0), "words");
    catalog_release(catalog);
    fixture_commit(f);
}

static oid_t
new_oid(struct fixture *f)
{
    struct diag diag;
    oid_t oid;
    OK(catalog_new_oid(f->task, f->store, &oid, &diag));
    return oid;
}

static uint64_t
new_row_id(struct fixture *f, const char *table)
{
    struct diag diag;
    uint64_t id;
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    OK(catalog_next_row_id(f->task, f->store, catalog_relation(catalog, NULL, table), &id, &diag));
    catalog_release(catalog);
    fixture_commit(f);
    return id;
}

static void
run_restart(struct fixture *f, struct task *task, const char *directory)
{
    fixture_run(f, "CREATE SCHEMA app");
    fixture_run(f, "CREATE TABLE app.d (id int PRIMARY KEY CHECK (id > 0), name varchar(20) NOT "
                   "NULL DEFAULT 'x' UNIQUE, n numeric(5,2), tags int[], gone text)");
    fixture_run(f, "ALTER TABLE app.d DROP COLUMN gone");
    fixture_run(f, "CREATE INDEX d_i ON app.d (n DESC, name)");
    fixture_run(f, "COMMENT ON TABLE app.d IS 'words'");
    fixture_run(f, "CREATE TABLE r (x int)");
    check_definitions(f);
    oid_t oid = new_oid(f);
    uint64_t row_id = new_row_id(f, "r");
    ASSERT(new_row_id(f, "r") > row_id);
    fixture_close(f);
    fixture_create(f, task, directory);
    check_definitions(f);
    ASSERT(new_oid(f) > oid); /* C6 */
    ASSERT(exists(f, "r"));
    fixture_fails(f, "CREATE TABLE r (x int)", "42P07");
}

static void
run(struct task *task, void *arg)
{
    struct fixture fixture;
    fixture_create(&fixture, task, arg);
    run_transactional(&fixture);
    run_names(&fixture);
    run_snapshots(&fixture);
    run_own_snapshot(&fixture);
    run_errors(&fixture);
    run_restart(&fixture, task, arg);
    fixture_destroy(&fixture);
}

static void
test_ddl(void **state)
{
    (void)state;
    test_run_os(run, 1, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ddl)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
