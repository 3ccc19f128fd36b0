/* catalog_verify: an index that does not say what its table says is found, and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sql/catalog/index_key.h"
#include "sql/catalog/verify.h"
#include "tests/unit/sql_catalog_util.h"

enum {
    ROWS = 500,
};

static struct {
    unsigned faults, tables;
    char all[8192];
} seen;

static void
see_fault(void *arg, const char *words)
{
    (void)arg;
    seen.faults++;
    size_t at = strlen(seen.all);
    (void)snprintf(seen.all + at, sizeof seen.all - at, "%s\n", words);
}

static void
see_table(void *arg, const struct relation *relation, uint64_t rows, uint64_t faults)
{
    (void)arg;
    (void)relation;
    (void)rows;
    (void)faults;
    seen.tables++;
}

static struct verify_report
verify(struct fixture *f)
{
    struct diag diag;
    struct verify_report report;
    const struct verify_listener listener = {.fault = see_fault, .table = see_table};
    memset(&seen, 0, sizeof seen);
    OK(catalog_verify(f->task, f->db, f->store, &listener, &report, &diag));
    SAME(report.faults, seen.faults);
    SAME(report.tables, seen.tables);
    return report;
}

static void
row_of(struct datum *values, int32_t id)
{
    static char text[32];
    values[0] = datum_int(id);
    values[1] = id % 7 == 0 ? datum_null() : datum_int(id % 10);
    (void)snprintf(text, sizeof text, "name %d", id);
    values[2] = datum_bytes(text, strlen(text));
}

static struct slice
bytes_of(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->size);
}

static void
insert(struct fixture *f, const struct relation *relation, int32_t id)
{
    struct diag diag;
    struct datum values[3];
    struct buffer key = {0};
    struct buffer entry = {0};
    struct buffer bytes = {0};
    row_of(values, id);
    index_row_key(relation, values, &key);
    row_encode(relation->layout, values, &bytes);
    OK(txn_insert(
        f->task, f->txn, relation->tree, bytes_of(&key), bytes_of(&bytes), NULL, NULL, &diag));
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        struct slice key_of_entry, value;
        if (!index->primary) {
            entry.size = 0;
            index_entry(relation, index, values, bytes_of(&key), &entry, &key_of_entry, &value);
            OK(txn_insert(f->task, f->txn, index->tree, key_of_entry, value, NULL, NULL, &diag));
        }
    }
    buffer_destroy(&key);
    buffer_destroy(&entry);
    buffer_destroy(&bytes);
}

/* Take a row out of a tree, whatever it is, behind everybody's back; or put another in its place.
 */
static void
tamper(struct fixture *f, tree_id_t tree, unsigned number, const char *value)
{
    struct diag diag;
    fixture_begin(f);
    struct txn_snapshot snapshot = txn_statement_begin(f->txn);
    struct txn_range all = {0};
    struct txn_scan *scan = NULL;
    struct txn_row row;
    struct txn_row latest;
    bool found = true;
    enum txn_outcome outcome;
    OK(txn_scan_open(f->task, f->txn, snapshot, tree, &all, false, &f->arena, &scan, &diag));
    for (unsigned i = 0; i <= number; i++) {
        OK(txn_scan_next(f->task, scan, &row, &found, &diag));
        ASSERT(found);
    }
    if (value == NULL) {
        OK(txn_remove(f->task, f->txn, snapshot, tree, row.key, row.version, &f->arena, &latest,
            &outcome, &diag));
    } else {
        OK(txn_update(f->task, f->txn, snapshot, tree, row.key, row.version,
            slice_of(value, strlen(value)), &f->arena, &latest, &outcome, &diag));
    }
    SAME(outcome, TXN_DONE);
    txn_scan_close(f->task, scan);
    fixture_commit(f);
}

static void
run(struct task *task, void *arg)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    fixture_create(f, task, arg);
    fixture_run(f, "CREATE TABLE t (id int PRIMARY KEY, a int, name text UNIQUE)");
    fixture_run(f, "CREATE INDEX t_a ON t (a DESC)");
    fixture_run(f, "CREATE TABLE other (x int)");
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    const struct relation *relation = catalog_relation(catalog, NULL, "t");
    (void)txn_statement_begin(f->txn);
    for (int32_t id = 1; id <= ROWS; id++) {
        insert(f, relation, id);
    }
    fixture_commit(f);
    struct verify_report report = verify(f);
    SAME(report.faults, 0);
    SAME(report.tables, 2);
    SAME(report.indexes, 2);
    SAME(report.rows, ROWS);
    SAME(report.entries, 2 * ROWS);

    const struct index *by_a = catalog_index(catalog, NULL, "t_a", &relation);
    const struct index *by_name = catalog_index(catalog, NULL, "t_name_key", &relation);
    ASSERT(by_a != NULL && by_name != NULL);

    /* An entry that is missing. */
    tamper(f, by_a->tree, 17, NULL);
    report = verify(f);
    SAME(report.faults, 2);
    ASSERT(strstr(seen.all, "\"t_a\" has 499 entries, and 500 would be right") != NULL);
    ASSERT(strstr(seen.all, "\"t_a\" has no entry for the row with key") != NULL);

    /* And one that leads to another row. */
    tamper(f, by_name->tree, 30, "\x80\x00\x00\x01");
    report = verify(f);
    ASSERT(report.faults >= 5);
    ASSERT(strstr(seen.all, "\"t_name_key\" has 500 entries, and 500 would be right, but others"));
    ASSERT(strstr(seen.all, "\"t_name_key\" has a wrong entry for the row") != NULL);

    /* A row that is gone, with two entries left; and one that cannot be read. */
    tamper(f, relation->tree, 99, NULL);
    report = verify(f);
    ASSERT(strstr(seen.all, "whose row does not exist") != NULL);
    tamper(f, relation->tree, 200, "nonsense");
    struct verify_report after = verify(f);
    ASSERT(after.faults > report.faults);
    SAME(after.tables, 2);
    catalog_release(catalog);
    fixture_destroy(f);
}

static void
test_verify(void **state)
{
    (void)state;
    test_run_os(run, 1, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_verify)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
