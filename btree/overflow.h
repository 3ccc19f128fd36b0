/* btree/overflow.h - values too large for a leaf: a chain of pages, named by a short reference. */
#ifndef BTREE_OVERFLOW_H
#define BTREE_OVERFLOW_H

#include "btree/btree_internal.h"

/* reference: OVERFLOW_REFERENCE_SIZE bytes. */
enum err overflow__store(struct task *task, struct btree *store, tree_id_t tree, struct slice value,
    uint8_t *reference, struct diag *diag);

#endif /* BTREE_OVERFLOW_H */
