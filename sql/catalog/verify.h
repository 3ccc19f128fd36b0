/*
 * sql/catalog/verify.h - does every index say what its table says?
 */
#ifndef SQL_CATALOG_VERIFY_H
#define SQL_CATALOG_VERIFY_H

#include "sql/catalog/catalog.h"

struct verify_listener {
    void *arg;
    /* One line about what is wrong. */
    void (*fault)(void *arg, const char *words);
    /* A table has been gone through, with all its indexes. */
    void (*table)(void *arg, const struct relation *relation, uint64_t rows, uint64_t faults);
};

struct verify_report {
    uint64_t tables, indexes, rows, entries, faults;
};

/* Goes through all tables, the catalog's too, at one snapshot: rows can be read, have the key that
 * their primary key columns say and values where they must; and each secondary index has exactly
 * the entries of the table's rows, in both directions. An error is returned for what is not damage
 * (interrupts, a disk that cannot be read); damage is told to the listener. */
enum err catalog_verify(struct task *task, struct txn_db *db, struct catalog_store *store,
    const struct verify_listener *listener, struct verify_report *report, struct diag *diag);

#endif /* SQL_CATALOG_VERIFY_H */
