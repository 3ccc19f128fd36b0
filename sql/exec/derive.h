/*
 * sql/exec/derive.h - derived values of rows: keys that are expressions, conditions of partial
 * indexes (struct derived).
 */
#ifndef SQL_EXEC_DERIVE_H
#define SQL_EXEC_DERIVE_H

#include "sql/catalog/index_key.h"
#include "sql/plan/plan.h"

/* exprs: the relation's derived values over registers 0.. (a plan has them), or NULL: they are
 * bound here. One task's at a time. NULL if the relation derives nothing. */
enum err exec_deriver_new(struct task *task, struct eval_env *env, const struct catalog *catalog,
    const struct relation *relation, struct expr *const *exprs, struct index_deriver **deriver,
    struct diag *diag);

/* What index_key.h asks for. */
extern const struct index_derivation exec_index_derivation;

#endif /* SQL_EXEC_DERIVE_H */
