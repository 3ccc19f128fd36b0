/*
 * sql/catalog/verify.c - does every index say what its table says?
 *
 * Two scans tell whether an index is right: the entries that the table's rows should have and those
 * that are there, each summed up as a number and two sums of 64-bit hashes, in no order. Only if
 * they differ each row looks for its entry and each entry for its row, to say what is wrong.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "sql/catalog/index_key.h"
#include "sql/catalog/verify.h"

enum {
    FAULTS_SHOWN_MAX = 5, /* of one kind, in one index */
};

struct sum {
    uint64_t count, first, second;
};

struct verify {
    struct task *task;
    struct txn *txn;
    struct txn_snapshot snapshot;
    const struct catalog *catalog;
    const struct verify_listener *listener;
    struct verify_report *report;
    struct diag *diag;

    const struct relation *relation; /* that is being looked at */
    struct arena arena;              /* of one scan */
    struct arena row;                /* of one row */
    struct datum *values;
    struct index_deriver *deriver; /* of the relation's rows; may be NULL */
    struct eval_env env;
    uint16_t *wanted;
    uint16_t wanted_count;
    struct buffer key;
    uint64_t rows;
};

static void __attribute__((format(printf, 2, 3))) fault(struct verify *verify, const char *fmt, ...)
{
    char words[512];
    char whole[768];
    va_list arguments;
    va_start(arguments, fmt);
    (void)vsnprintf(words, sizeof words, fmt, arguments);
    va_end(arguments);
    (void)snprintf(whole, sizeof whole, "table \"%s.%s\": %s", verify->relation->schema_name,
        verify->relation->name, words);
    verify->report->faults++;
    verify->listener->fault(verify->listener->arg, whole);
}

/* Damage is told and survived; anything else ends the work. */
static enum err
survive(struct verify *verify, enum err err)
{
    if (err == ERR_CORRUPT || err == ERR_INDEX_CORRUPT) {
        fault(verify, "%s", verify->diag->message);
        return ERR_OK;
    }
    return err;
}

static const char *
hex(struct slice key, char *text, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < key.size && at + 6 < size; i++) {
        at += (size_t)snprintf(text + at, size - at, "%02x", key.data[i]);
    }
    if (at + 6 >= size) {
        (void)snprintf(text + at, size - at, "...");
    }
    return text;
}

static void
sum_add(struct sum *sum, struct slice key, struct slice value)
{
    uint64_t first = hash64(key.data, key.size, 1);
    sum->count++;
    sum->first += hash64(value.data, value.size, first);
    sum->second += hash64(value.data, value.size, hash64(key.data, key.size, 2));
}

/* ---- one scan ----------------------------------------------------------------------------------
 */

typedef enum err each_row(struct verify *verify, const struct txn_row *row, void *arg);

static enum err
scan(struct verify *verify, tree_id_t tree, each_row *each, void *arg)
{
    struct txn_range all = {0};
    struct txn_scan *rows = NULL;
    arena_reset(&verify->arena);
    enum err err = txn_scan_open(verify->task, verify->txn, verify->snapshot, tree, &all, false,
        &verify->arena, &rows, verify->diag);
    while (err == ERR_OK) {
        struct txn_row row;
        bool found = false;
        err = txn_scan_next(verify->task, rows, &row, &found, verify->diag);
        if (err != ERR_OK || !found) {
            break;
        }
        arena_reset(&verify->row);
        err = each(verify, &row, arg);
        if (err == ERR_OK) {
            err = task_breathe(verify->task, verify->diag);
        }
    }
    if (rows != NULL) {
        txn_scan_close(verify->task, rows);
    }
    return err;
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static enum err
derive(struct verify *verify)
{
    return index_derive(verify->task, verify->deriver, &verify->row, verify->values, verify->diag);
}

struct rows {
    struct sum *sums; /* of the entries that each index should have */
    uint64_t shown;
};

static enum err
check_row(struct verify *verify, const struct txn_row *row, void *arg)
{
    struct rows *rows = arg;
    const struct relation *relation = verify->relation;
    char text[160];
    verify->rows++;
    enum err err = row_decode(relation->layout, row->value, verify->wanted, verify->wanted_count,
        verify->values, verify->diag);
    if (err != ERR_OK) {
        return survive(verify, err);
    }
    for (uint16_t i = 0; i < verify->wanted_count; i++) {
        uint16_t column = verify->wanted[i];
        if (relation->columns[column].not_null && verify->values[column].null &&
            rows->shown++ < FAULTS_SHOWN_MAX) {
            fault(verify, "null in column \"%s\" of the row with key %s",
                relation->columns[column].name, hex(row->key, text, sizeof text));
        }
    }
    if (relation->primary != NULL) {
        bool has_null = false;
        verify->key.size = 0;
        index_key_columns(relation, relation->primary, verify->values, &verify->key, &has_null);
        if ((has_null || !slice_equal(row->key, slice_of(verify->key.data, verify->key.size))) &&
            rows->shown++ < FAULTS_SHOWN_MAX) {
            fault(verify, "the row with key %s has other values in its primary key",
                hex(row->key, text, sizeof text));
        }
    }
    TRY(derive(verify));
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (!index->primary && index_holds(relation, index, verify->values)) {
            struct slice key, value;
            verify->key.size = 0;
            index_entry(relation, index, verify->values, row->key, &verify->key, &key, &value);
            sum_add(&rows->sums[i], key, value);
        }
    }
    return ERR_OK;
}

/* ---- indexes -----------------------------------------------------------------------------------
 */

static enum err
sum_entry(struct verify *verify, const struct txn_row *row, void *arg)
{
    (void)verify;
    sum_add(arg, row->key, row->value);
    return ERR_OK;
}

struct search {
    const struct index *index;
    uint64_t faults;
};

static enum err
find_entry(struct verify *verify, const struct txn_row *row, void *arg)
{
    struct search *search = arg;
    const struct relation *relation = verify->relation;
    char text[160];
    if (row_decode(relation->layout, row->value, verify->wanted, verify->wanted_count,
            verify->values, verify->diag) != ERR_OK) {
        return ERR_OK; /* told before */
    }
    TRY(derive(verify));
    if (!index_holds(relation, search->index, verify->values)) {
        return ERR_OK;
    }
    struct slice key, value;
    verify->key.size = 0;
    index_entry(relation, search->index, verify->values, row->key, &verify->key, &key, &value);
    struct txn_row entry;
    bool found = false;
    TRY(txn_get(verify->task, verify->txn, verify->snapshot, search->index->tree, key, &verify->row,
        &entry, &found, verify->diag));
    if ((!found || !slice_equal(entry.value, value)) && search->faults++ < FAULTS_SHOWN_MAX) {
        fault(verify, "index \"%s\" has %s entry for the row with key %s", search->index->name,
            found ? "a wrong" : "no", hex(row->key, text, sizeof text));
    }
    return ERR_OK;
}

static enum err
find_row(struct verify *verify, const struct txn_row *entry, void *arg)
{
    struct search *search = arg;
    const struct relation *relation = verify->relation;
    char text[160];
    struct slice row_key;
    enum err err = index_entry_row_key(
        relation, search->index, entry->key, entry->value, &row_key, verify->diag);
    if (err != ERR_OK) {
        return survive(verify, err);
    }
    struct txn_row row;
    bool found = false;
    TRY(txn_get(verify->task, verify->txn, verify->snapshot, relation->tree, row_key, &verify->row,
        &row, &found, verify->diag));
    bool same = false;
    if (found && row_decode(relation->layout, row.value, verify->wanted, verify->wanted_count,
                     verify->values, verify->diag) == ERR_OK) {
        struct slice key, value;
        verify->key.size = 0;
        TRY(derive(verify));
        if (index_holds(relation, search->index, verify->values)) {
            index_entry(
                relation, search->index, verify->values, row_key, &verify->key, &key, &value);
            same = slice_equal(entry->key, key);
        }
    }
    if (!same && search->faults++ < FAULTS_SHOWN_MAX) {
        fault(verify, "index \"%s\" has entry %s, whose row %s", search->index->name,
            hex(entry->key, text, sizeof text), found ? "has other values" : "does not exist");
    }
    return ERR_OK;
}

static enum err
check_index(struct verify *verify, const struct index *index, const struct sum *wanted)
{
    struct sum is = {0};
    verify->report->indexes++;
    enum err err = survive(verify, scan(verify, index->tree, sum_entry, &is));
    verify->report->entries += is.count;
    bool same =
        is.count == wanted->count && is.first == wanted->first && is.second == wanted->second;
    if (err != ERR_OK || same) {
        return err;
    }
    fault(verify, "index \"%s\" has %" PRIu64 " entries, and %" PRIu64 " would be right%s",
        index->name, is.count, wanted->count, is.count == wanted->count ? ", but others" : "");
    struct search search = {.index = index};
    TRY(survive(verify, scan(verify, verify->relation->tree, find_entry, &search)));
    search.faults = 0;
    return survive(verify, scan(verify, index->tree, find_row, &search));
}

/* ---- tables ------------------------------------------------------------------------------------
 */

static enum err
check_table(struct verify *verify, const struct relation *relation)
{
    verify->relation = relation;
    verify->rows = 0;
    uint64_t faults_before = verify->report->faults;
    verify->values = mem_array(index_row_size(relation) + 1U, sizeof *verify->values);
    verify->wanted = mem_array(relation->column_count + 1U, sizeof *verify->wanted);
    verify->wanted_count = 0;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        verify->values[i] = datum_null();
        if (!relation->columns[i].dropped) {
            verify->wanted[verify->wanted_count++] = i;
        }
    }
    enum err err = index_deriver_open(
        verify->task, &verify->env, verify->catalog, relation, &verify->deriver, verify->diag);
    struct rows rows = {.sums = mem_array(relation->index_count + 1U, sizeof *rows.sums)};
    if (err == ERR_OK) {
        err = survive(verify, scan(verify, relation->tree, check_row, &rows));
    }
    for (uint16_t i = 0; i < relation->index_count && err == ERR_OK; i++) {
        if (!relation->indexes[i].primary) {
            err = check_index(verify, &relation->indexes[i], &rows.sums[i]);
        }
    }
    index_deriver_close(verify->deriver);
    mem_free(rows.sums);
    mem_free(verify->values);
    mem_free(verify->wanted);
    if (err == ERR_OK) {
        verify->report->tables++;
        verify->report->rows += verify->rows;
        verify->listener->table(
            verify->listener->arg, relation, verify->rows, verify->report->faults - faults_before);
    }
    return err;
}

static enum err
check_all(struct verify *verify)
{
    const struct relation *relation = NULL;
    for (size_t i = 0; (relation = catalog_relation_at(verify->catalog, i)) != NULL; i++) {
        if (relation->tree.v != 0 && relation->layout != NULL) {
            TRY(check_table(verify, relation));
        }
    }
    return ERR_OK;
}

/* With its own picture: expressions of indexes name its types and functions. */
static enum err
check_database(struct verify *verify, struct catalog_store *store, const struct database *database)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get_database(
        verify->task, store, verify->txn, database->oid, &catalog, verify->diag));
    verify->catalog = catalog;
    verify->env = (struct eval_env){.time_zone = "UTC",
        .extra_float_digits = 1,
        .database = database->name,
        .catalog = catalog};
    enum err err = check_all(verify);
    catalog_release(catalog);
    return err;
}

/* What belongs to no database would not be looked at. */
static void
check_databases(struct verify *verify, const struct catalog *whole)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(whole, i)) != NULL; i++) {
        if (relation->database != 0 && catalog_database_by_oid(whole, relation->database) == NULL) {
            verify->relation = relation;
            fault(verify, "it belongs to database %u, which does not exist", relation->database);
        }
    }
}

enum err
catalog_verify(struct task *task, struct txn_db *db, struct catalog_store *store,
    const struct verify_listener *listener, struct verify_report *report, struct diag *diag)
{
    *report = (struct verify_report){0};
    struct verify verify = {
        .task = task, .listener = listener, .report = report, .diag = diag, .txn = txn_new(db, 0)};
    arena_create(&verify.arena, "verify scan");
    arena_create(&verify.row, "verify row");
    struct catalog *whole = NULL;
    enum err err = txn_begin(task, verify.txn, TXN_REPEATABLE_READ, true, diag);
    if (err == ERR_OK) {
        err = catalog_get_database(task, store, verify.txn, 0, &whole, diag);
        if (err == ERR_OK) {
            verify.snapshot = txn_statement_begin(verify.txn);
            check_databases(&verify, whole);
            const struct database *database;
            for (size_t i = 0; err == ERR_OK && (database = catalog_database_at(whole, i)) != NULL;
                 i++) {
                err = check_database(&verify, store, database);
            }
            catalog_release(whole);
        }
        txn_rollback(task, verify.txn);
    }
    txn_delete(task, verify.txn);
    buffer_destroy(&verify.key);
    arena_destroy(&verify.row);
    arena_destroy(&verify.arena);
    return err;
}
