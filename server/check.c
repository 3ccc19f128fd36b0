/*
 * server/check.c - tuskd --check: is a data directory what it should be?
 *
 * Of the last checkpoint, without the log: pages, trees, mapping table against extents; then, with
 * the catalog, each index against its table. If the pages are damaged the second part tells which
 * tables are hit.
 */
#include <stdio.h>

#include "server/server.h"
#include "sql/catalog/verify.h"
#include "sql/exec/derive.h"
#include "sql/exec/domain.h"
#include "txn/txn.h"

static void
print_fault(void *arg, const char *words)
{
    (void)arg;
    (void)printf("fault: %s\n", words);
    (void)fflush(stdout);
}

static void
print_tree(void *arg, tree_id_t tree, uint64_t pages, uint64_t rows)
{
    (void)arg;
    (void)printf("tree %llu: %llu pages, %llu rows\n", (unsigned long long)tree.v,
        (unsigned long long)pages, (unsigned long long)rows);
    (void)fflush(stdout);
}

static void
print_table(void *arg, const struct relation *relation, uint64_t rows, uint64_t faults)
{
    (void)arg;
    unsigned indexes = 0;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        indexes += !relation->indexes[i].primary;
    }
    (void)printf("table %s.%s: %llu rows, %u indexes, %llu faults\n", relation->schema_name,
        relation->name, (unsigned long long)rows, indexes, (unsigned long long)faults);
    (void)fflush(stdout);
}

static int
print_error(enum err err, const struct diag *diag)
{
    (void)printf("%s: %s\n", err == ERR_CORRUPT ? "fault" : "error", diag->message);
    if (diag->hint[0] != '\0') {
        (void)printf("hint: %s\n", diag->hint);
    }
    return err == ERR_CORRUPT ? 1 : 2;
}

static enum err
check_tables(struct task *task, struct txn_db *db, const char *system_user,
    struct verify_report *report, struct diag *diag)
{
    *report = (struct verify_report){0};
    struct catalog_store *store = NULL;
    index_set_derivation(&exec_index_derivation);
    exec_register_domains();
    TRY(catalog_open(task, db, system_user, &store, diag));
    const struct verify_listener listener = {.fault = print_fault, .table = print_table};
    enum err err = catalog_verify(task, db, store, &listener, report, diag);
    catalog_close(store);
    return err;
}

static enum err
check(struct task *task, struct txn_db *db, const char *system_user, uint64_t *faults,
    struct diag *diag)
{
    const struct btree_check_listener listener = {.fault = print_fault, .tree = print_tree};
    struct btree_check_report report = {0};
    TRY(txn_db_check(task, db, &listener, &report, diag));
    *faults = report.faults;
    (void)printf("%llu trees, %llu pages (%llu of them overflow), %llu rows: %llu faults\n",
        (unsigned long long)report.trees, (unsigned long long)report.pages,
        (unsigned long long)report.overflow_pages, (unsigned long long)report.rows,
        (unsigned long long)report.faults);
    if (report.pages_lost > 0) {
        (void)printf("%llu pages are allocated and part of nothing: room lost, no harm\n",
            (unsigned long long)report.pages_lost);
    }
    if (txn_db_is_new(db)) {
        (void)printf("no checkpoint has been made yet: there are no tables to look at\n");
        return ERR_OK;
    }
    struct verify_report tables = {0};
    TRY(check_tables(task, db, system_user, &tables, diag));
    *faults += tables.faults;
    (void)printf("%llu tables, %llu rows, %llu indexes, %llu entries: %llu faults\n",
        (unsigned long long)tables.tables, (unsigned long long)tables.rows,
        (unsigned long long)tables.indexes, (unsigned long long)tables.entries,
        (unsigned long long)tables.faults);
    return ERR_OK;
}

int
server_check(struct task *task, const struct server_options *options)
{
    static struct diag diag; /* too large for this stack's beginning */
    struct txn_db_options db_options = {
        .directory = options->data_directory,
        .cache_size = (uint64_t)sql_config_integer(options->config, "shared_buffers") * 1024,
    };
    struct txn_db *db = NULL;
    enum err err = txn_db_open_checkpoint(task, &db_options, &db, &diag);
    if (err != ERR_OK) {
        return print_error(err, &diag);
    }
    uint64_t faults = 0;
    err = check(task, db, options->system_user, &faults, &diag);
    txn_db_close(task, db);
    return err != ERR_OK ? print_error(err, &diag) : faults == 0 ? 0 : 1;
}
