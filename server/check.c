/* server/check.c - tuskd --check: is the data file what it should be? */
#include <stdio.h>

#include "server/server.h"
#include "txn/txn.h"

static void
print_fault(void *arg, const char *words)
{
    (void)arg;
    (void)printf("fault: %s\n", words);
}

int
server_check(struct task *task, const struct server_options *options)
{
    static struct diag diag; /* too large for this stack's beginning */
    struct txn_db_options db = {
        .directory = options->data_directory,
        .cache_size = options->cache_size,
    };
    struct btree_check_report report = {0};
    enum err err = txn_db_check(task, &db, print_fault, NULL, &report, &diag);
    if (err != ERR_OK) {
        (void)printf("%s: %s\n", err == ERR_CORRUPT ? "fault" : "error", diag.message);
        if (diag.hint[0] != '\0') {
            (void)printf("hint: %s\n", diag.hint);
        }
        return err == ERR_CORRUPT ? 1 : 2;
    }
    (void)printf("%llu trees, %llu pages (%llu of them overflow), %llu rows: %llu faults\n",
        (unsigned long long)report.trees, (unsigned long long)report.pages,
        (unsigned long long)report.overflow_pages, (unsigned long long)report.rows,
        (unsigned long long)report.faults);
    if (report.pages_lost > 0) {
        (void)printf("%llu pages are allocated and part of nothing: room lost, no harm\n",
            (unsigned long long)report.pages_lost);
    }
    return report.faults == 0 ? 0 : 1;
}
