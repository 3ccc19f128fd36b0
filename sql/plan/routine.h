/*
 * sql/plan/routine.h - functions and procedures of users that are run, not put into the query.
 *
 * The binder makes one struct routine for each that a statement calls: a function of the executor's
 * like any other, whose first argument is a pointer to this struct. What runs the body's statements
 * is the session's business, and registers itself here.
 */
#ifndef SQL_PLAN_ROUTINE_H
#define SQL_PLAN_ROUTINE_H

#include "sql/value/value.h"

enum {
    ROUTINE_PARAMS_MAX = 100,
};

/* What the last statement of a body must give. */
struct routine_result {
    uint32_t count;     /* columns; 0: nothing is looked at */
    const oid_t *types; /* theirs */
    oid_t declared;     /* RETURNS: for errors */
};

struct routine {
    struct function function; /* result, flags, and how it is called */
    struct set_function set;  /* function.set, if it is one in this call */
    oid_t oid;
    const char *name;
    const char *body;
    uint32_t param_count; /* input parameters */
    const oid_t *param_types;
    const char *const *param_names; /* NULL: this one has none */
    struct routine_result result;
    const char *const *column_names; /* result.count of them */
    bool composite;                  /* a value is a record of the columns */
    bool any_record;                 /* of whatever columns its query gives */
    bool returns_set;
    bool is_volatile;
    bool is_procedure;
    const char *definer;            /* SECURITY DEFINER: the owner's name; else NULL */
    const struct ast_list *options; /* AST_OPTION; "set": while it runs */
};

/* The expression's first argument is the routine. */
static inline const struct routine *
routine_of(const struct datum *args)
{
    return (const struct routine *)(intptr_t)args[0].i;
}

/* Who runs routines: registered once, before the first statement. `set` without columns: they are
 * the routine's. */
struct routine_runner {
    function_call *call;
    size_t set_state_size;
    enum err (*set_start)(struct eval *eval, void *state, const struct datum *args, int count);
    enum err (*set_next)(struct eval *eval, void *state, struct datum *values, bool *done);
};
void routine_set_runner(const struct routine_runner *runner);

#endif /* SQL_PLAN_ROUTINE_H */
