/*
 * sql/catalog/statistics.h - what ANALYZE found out about the values of a table's columns.
 *
 * Statistics are one record per relation in a tree of the catalog, and so transactional; a picture
 * holds those of its relations (relation->statistics), immutable and shared by reference count.
 * They guide the planner and nothing else: any answer is right with any of them.
 */
#ifndef SQL_CATALOG_STATISTICS_H
#define SQL_CATALOG_STATISTICS_H

#include "sql/catalog/catalog.h"

enum {
    STATISTICS_TARGET = 100, /* most common values, and parts of the histogram */
};

struct column_statistics {
    oid_t type; /* of the column when this was gathered; 0: nothing is known */
    double null_fraction;
    double width;       /* average bytes of a value */
    double distinct;    /* different values; negative: minus their fraction of the rows */
    double correlation; /* of the values' order with the order of the rows; -1 .. 1 */
    uint32_t common_count;
    const struct datum *common; /* the most common values, falling */
    const double *common_fractions;
    uint32_t bound_count;       /* 0 or at least 2: of the other values, ascending, */
    const struct datum *bounds; /* that part them into pieces of equal size */
};

struct table_statistics {
    _Atomic uint32_t references;
    struct arena arena;
    oid_t relation;
    double rows; /* when gathered */
    uint16_t column_count;
    struct column_statistics *columns;
};

/* NULL if there are none for the column as it is now. */
const struct column_statistics *statistics_of(const struct relation *relation, uint16_t column);

/* Looks at the rows (a sample of them) as they are now and writes what it found, in the caller's
 * transaction, whose schema it changes. Who calls holds a lock that keeps the definition. */
enum err statistics_gather(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct relation *relation, struct diag *diag);

/* Rows that were inserted, updated or deleted: counted, to know when to gather anew. Not before the
 * commit: who gathers in between would take for dealt with what he could not see. */
static inline void
statistics_note_changes(struct txn *txn, const struct relation *relation, uint64_t rows)
{
    if (relation->changes != NULL && rows > 0) {
        txn_count_at_commit(txn, relation->changes, rows);
    }
}

/* Should statistics be gathered now, by PostgreSQL's rule (50 rows and a tenth of the table)? */
bool statistics_are_stale(struct catalog_store *store, const struct relation *relation);

#endif /* SQL_CATALOG_STATISTICS_H */
