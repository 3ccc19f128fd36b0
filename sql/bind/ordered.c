/*
 * sql/bind/ordered.c - f(..) WITHIN GROUP (ORDER BY ..).
 *
 * It becomes an aggregate over the sorted rows whose arguments are the direct ones and then what is
 * sorted by (sql/value/ordered.c). Where a row would stand (rank and its kin) both are rows.
 */
#include "base/assert.h"
#include "sql/bind/bind.h"

static bool
is_hypothetical(const char *name)
{
    return strcmp(name, "rank") == 0 || strcmp(name, "dense_rank") == 0 ||
           strcmp(name, "percent_rank") == 0 || strcmp(name, "cume_dist") == 0;
}

struct own_read {
    const struct query *query;
    bool found;
};

static void
find_own(void *arg, reg_t reg)
{
    struct own_read *read = arg;
    read->found = read->found || query_rel(read->query, reg) != NULL;
}

static enum err
bind_direct(struct binder *binder, struct scope *scope, const struct ast_call *call,
    struct expr **args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_node *node = ast_list_at(call->args, i);
        TRY(bind_expr(binder, scope, node, &args[i]));
    }
    return ERR_OK;
}

static enum err
check_direct(
    struct binder *binder, const struct scope *scope, struct expr *const *args, uint32_t count)
{
    struct own_read read = {.query = scope->query};
    for (uint32_t i = 0; i < count && scope->query != NULL; i++) {
        expr_reads(args[i], find_own, &read);
        if (read.found) {
            return bind_unsupported(
                binder, args[i]->location, "a direct argument that reads columns is");
        }
    }
    return ERR_OK;
}

static enum err
bind_sorted(struct binder *binder, struct scope *scope, const struct ast_call *call,
    struct expr **args, uint32_t count)
{
    bool in_aggregate = scope->in_aggregate;
    enum clause clause = scope->clause;
    scope->in_aggregate = true;
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        err = bind_expr(binder, scope, ast_as_sort(ast_list_at(call->order, i))->expr, &args[i]);
    }
    scope->in_aggregate = in_aggregate;
    scope->clause = clause;
    return err;
}

static struct expr *
row_of(struct binder *binder, struct expr **values, uint32_t count, int32_t location)
{
    const char **names = arena_alloc(binder->arena, (count + (size_t)1) * sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = "";
    }
    return bind_record(binder, values, names, count, location);
}

/* The two rows, and how they are sorted. */
static enum err
hypothetical_arguments(struct binder *binder, const struct ast_call *call, struct expr **direct,
    uint32_t direct_count, struct expr **sorted, uint32_t sorted_count, struct expr ***args)
{
    int32_t location = call->node.location;
    if (direct_count != sorted_count) {
        const struct function *none; /* of so many arguments */
        enum err err =
            bind_function(binder, call->name, direct, direct_count + sorted_count, location, &none);
        diag_hint(binder->diag,
            "To use the hypothetical-set aggregate %s, the number of hypothetical direct arguments "
            "(here %u) must match the number of ordering columns (here %u).",
            call->name, direct_count, sorted_count);
        return err != ERR_OK ? err : ERR_UNDEFINED_FUNCTION;
    }
    uint8_t *flags = arena_alloc(binder->arena, sorted_count + (size_t)1);
    for (uint32_t i = 0; i < sorted_count; i++) {
        struct expr *both[2] = {sorted[i], direct[i]};
        oid_t type;
        TRY(bind_common_type(binder, both, 2, "WITHIN GROUP", &type));
        TRY(bind_coerce_list(binder, both, 2, type, "WITHIN GROUP"));
        sorted[i] = both[0];
        direct[i] = both[1];
        const struct ast_sort *sort = ast_as_sort(ast_list_at(call->order, i));
        bool descending = sort->order == AST_SORT_DESC;
        bool nulls_first =
            sort->nulls == AST_NULLS_DEFAULT ? descending : sort->nulls == AST_NULLS_FIRST;
        flags[i] =
            (uint8_t)((descending ? KEY_DESCENDING : 0) | (nulls_first ? KEY_NULLS_FIRST : 0));
    }
    struct expr **all = arena_alloc(binder->arena, 3 * sizeof *all);
    all[0] = row_of(binder, direct, direct_count, location);
    all[1] = row_of(binder, sorted, sorted_count, location);
    all[2] = expr_const(binder, TYPE_BYTEA, datum_bytes(flags, sorted_count), -1);
    *args = all;
    return ERR_OK;
}

static enum err
check_ordered(struct binder *binder, const struct ast_call *call, const struct function *function)
{
    if ((function->flags & FUNCTION_ORDERED) != 0) {
        return ERR_OK;
    }
    return bind_error(binder, call->node.location, ERR_WRONG_OBJECT_TYPE,
        (function->flags & FUNCTION_AGGREGATE) != 0
            ? "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP"
            : "WITHIN GROUP specified, but %s is not an aggregate function",
        call->name);
}

enum err
bind_within_group(
    struct binder *binder, struct scope *scope, const struct ast_call *call, struct expr **expr)
{
    int32_t location = call->node.location;
    size_t run = 0;
    (void)function_by_name(call->name, &run);
    bool hypothetical = is_hypothetical(call->name);
    if (run == 0) {
        return bind_error(
            binder, location, ERR_UNDEFINED_FUNCTION, "function %s does not exist", call->name);
    }
    if (call->over != NULL) {
        return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
            "OVER is not supported for ordered-set aggregate %s", call->name);
    }
    uint32_t direct_count = ast_list_count(call->args);
    uint32_t sorted_count = ast_list_count(call->order);
    uint32_t count = direct_count + sorted_count;
    if (count > FUNCTION_ARGS_MAX && !hypothetical) {
        return bind_error(
            binder, location, ERR_UNDEFINED_FUNCTION, "function %s does not exist", call->name);
    }
    struct expr **args = arena_alloc(binder->arena, (count + (size_t)1) * sizeof *args);
    TRY(bind_direct(binder, scope, call, args, direct_count));
    TRY(bind_sorted(binder, scope, call, args + direct_count, sorted_count));
    const struct function *function;
    if (hypothetical) {
        TRY(hypothetical_arguments(
            binder, call, args, direct_count, args + direct_count, sorted_count, &args));
        TRY(check_direct(binder, scope, args, 1));
        count = 3;
        function = function_by_name(arena_printf(binder->arena, "within_%s", call->name), &run);
        ASSERT(run == 1);
    } else {
        TRY(bind_function(binder, call->name, args, count, location, &function));
        TRY(check_ordered(binder, call, function));
        TRY(check_direct(binder, scope, args, direct_count));
        TRY(bind_polymorphic(binder, &function, &args, &count, location));
        for (uint32_t i = 0; i < count; i++) {
            bool done;
            TRY(bind_coerce(binder, &args[i], function->args[i], -1, CAST_IMPLICIT, &done));
        }
    }
    return bind_aggregate(binder, scope, call, function, args, count, expr);
}
