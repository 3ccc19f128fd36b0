/* base/ids.h - numbers that must not mix. */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include <stdint.h>

/* A position in the log, in bytes from its birth. A commit's LSN is the end of its record: it is
 * the commit's number, and a snapshot is the LSN up to which it sees. 0: before everything. */
typedef struct {
    uint64_t v;
} lsn_t;

/* A writing transaction; given at the first write, never reused. 0: none; as a row's writer, 0 is
 * "committed before every snapshot". */
typedef struct {
    uint64_t v;
} txn_id_t;

/* A tree of the store: a table or an index. 0: none. Ids below TREE_ID_FIRST_USER are the store's
 * and the catalog's own. */
typedef struct {
    uint64_t v;
} tree_id_t;

enum {
    TREE_ID_FIRST_USER = 1000
};

#endif /* BASE_IDS_H */
