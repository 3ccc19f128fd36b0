/* sql/catalog/trees.h - the fixed trees that a database is born with; what is in them:
 * catalog_internal.h. */
#ifndef SQL_CATALOG_TREES_H
#define SQL_CATALOG_TREES_H

#include "base/ids.h"

enum catalog_tree {
    CATALOG_TREE_COUNTERS = 16,
    CATALOG_TREE_SCHEMAS,
    CATALOG_TREE_RELATIONS,
    CATALOG_TREE_NAMES,
    CATALOG_TREE_ROLES,
    CATALOG_TREE_DATABASES,
    CATALOG_TREE_COMMENTS,
    CATALOG_TREE_STATISTICS,
    CATALOG_TREE_GRANTS,
    CATALOG_TREE_SETTINGS,
    CATALOG_TREE_IDEMPOTENCY_KEYS,
    CATALOG_TREE_IDEMPOTENCY_AGES,
    CATALOG_TREE_SAGAS,
    CATALOG_TREE_SAGA_INSTANCES,
    CATALOG_TREE_SAGA_KEYS,
    CATALOG_TREE_SAGA_STEPS,
    CATALOG_TREE_SAGA_EPOCHS,
    CATALOG_TREE_TYPES,
    CATALOG_TREE_SHARDING,
    CATALOG_TREE_BUCKETS,
    CATALOG_TREE_FUNCTIONS,
    CATALOG_TREE_DEFAULT_ACCESS,
    CATALOG_TREE_REPLICATED,
    CATALOG_TREE_END,
};
_Static_assert((int)CATALOG_TREE_END <= (int)TREE_ID_FIRST_USER, "below the users' trees");

static inline tree_id_t
catalog__tree(enum catalog_tree tree)
{
    return (tree_id_t){tree};
}

#endif /* SQL_CATALOG_TREES_H */
