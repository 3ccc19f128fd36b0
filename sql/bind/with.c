/*
 * sql/bind/with.c - WITH.
 *
 * A WITH query is bound when it is first read. A plain one is bound anew at each reference and
 * becomes a subquery there, so that conditions reach into it; one that PostgreSQL would run once
 * (recursive, data-modifying, MATERIALIZED, volatile, or read more than once and not a mere join)
 * becomes a struct shared, which all references read.
 */
#include "parser/deparse.h"
#include "sql/bind/bind.h"

/* ---- names ----------------------------------------------------------------------------------- */

struct counting {
    struct scope *scope;
};

static const char *
count_reference(void *arg, const struct ast_table *table)
{
    const struct counting *counting = arg;
    for (struct cte *cte = counting->scope->ctes; cte != NULL && table->schema == NULL;
         cte = cte->next) {
        if (cte->scope == counting->scope && strcmp(cte->name, table->name) == 0) {
            cte->references++;
            break;
        }
    }
    return NULL;
}

/* How often each name is read; the way through the tree is the deparser's. */
static void
count_references(struct binder *binder, struct scope *scope, const struct ast_select *select)
{
    struct counting counting = {.scope = scope};
    struct parser_deparse style = {
        .arena = binder->arena, .keep = true, .arg = &counting, .table = count_reference};
    struct buffer text = {0};
    parser_deparse_query(&style, select, &text);
    buffer_destroy(&text);
}

static enum err bind_modifying(struct binder *binder, struct cte *cte);

enum err
bind_with(struct binder *binder, struct scope *scope, const struct ast_with *with,
    const struct ast_select *select)
{
    if (ast_list_count(with->ctes) == 0) {
        return ERR_OK;
    }
    bool modifying = false;
    AST_FOREACH(at, with->ctes)
    {
        const struct ast_cte *ast = ast_as_cte(*at);
        for (const struct cte *have = scope->ctes; have != NULL; have = have->next) {
            if (have->scope == scope && strcmp(have->name, ast->name) == 0) {
                return bind_error(binder, ast->node.location, ERR_DUPLICATE_ALIAS,
                    "WITH query name \"%s\" specified more than once", ast->name);
            }
        }
        struct cte *cte = arena_alloc(binder->arena, sizeof *cte);
        cte->name = ast->name;
        cte->ast = ast;
        cte->scope = scope;
        cte->next = scope->ctes;
        cte->visible = scope->ctes;
        cte->recursive = with->recursive;
        cte->references = 2; /* unless counted */
        scope->ctes = cte;
        modifying = modifying || ast->query->kind != AST_SELECT;
    }
    if (modifying && (scope->parent != binder->outer || binder->outer != NULL)) {
        return bind_error(binder, with->location, ERR_FEATURE_NOT_SUPPORTED,
            "WITH clause containing a data-modifying statement must be at the top level");
    }
    for (struct cte *cte = scope->ctes; cte != NULL && cte->scope == scope; cte = cte->next) {
        if (with->recursive) {
            cte->visible = scope->ctes;
        }
        if (select != NULL && !modifying) {
            cte->references = 0;
        }
    }
    if (select != NULL && !modifying) {
        count_references(binder, scope, select);
    }
    /* In the order of writing. */
    AST_FOREACH(at, with->ctes)
    {
        struct cte *cte = scope->ctes;
        while (cte->ast != ast_as_cte(*at)) {
            cte = cte->next;
        }
        if (cte->ast->query->kind != AST_SELECT) {
            TRY(bind_modifying(binder, cte));
        }
    }
    return ERR_OK;
}

/* ---- columns --------------------------------------------------------------------------------- */

static enum err
name_columns(struct binder *binder, const struct cte *cte, struct target *columns, uint32_t count)
{
    uint32_t names = ast_list_count(cte->ast->columns);
    if (names > count) {
        return bind_error(binder, cte->ast->node.location, ERR_INVALID_COLUMN_REFERENCE,
            "WITH query \"%s\" has %u columns available but %u columns specified", cte->name, count,
            names);
    }
    for (uint32_t i = 0; i < names; i++) {
        columns[i].name = ast_as_name(ast_list_at(cte->ast->columns, i))->text;
    }
    return ERR_OK;
}

static struct shared *
shared_new(struct binder *binder, const struct cte *cte)
{
    struct shared *shared = arena_alloc(binder->arena, sizeof *shared);
    shared->name = cte->name;
    return shared;
}

static struct scope *
inside_of(struct binder *binder, const struct cte *cte)
{
    struct scope *inside = scope_without_items(binder, cte->scope);
    inside->ctes = cte->visible;
    return inside;
}

/* ---- data-modifying -------------------------------------------------------------------------- */

static enum err
bind_modifying(struct binder *binder, struct cte *cte)
{
    const struct ast_node *node = cte->ast->query;
    struct shared *shared = shared_new(binder, cte);
    struct scope *outer = binder->outer;
    binder->outer = inside_of(binder, cte);
    cte->state = CTE_ANCHOR;
    enum err err =
        node->kind == AST_INSERT   ? bind_insert(binder, ast_as_insert(node), &shared->modify)
        : node->kind == AST_UPDATE ? bind_update(binder, ast_as_update(node), &shared->modify)
                                   : bind_delete(binder, ast_as_delete(node), &shared->modify);
    binder->outer = outer;
    TRY(err);
    shared->columns = shared->modify->returning;
    shared->column_count = shared->modify->returning_count;
    TRY(name_columns(binder, cte, shared->columns, shared->column_count));
    cte->state = CTE_BOUND;
    cte->shared = shared;
    vec_add(binder->arena, &binder->modifying, shared);
    return ERR_OK;
}

/* ---- recursive ------------------------------------------------------------------------------- */

static enum err
check_recursive_clauses(struct binder *binder, const struct ast_select *select)
{
    const char *clause = ast_list_count(select->order) > 0     ? "ORDER BY"
                         : select->offset != NULL              ? "OFFSET"
                         : select->limit != NULL               ? "LIMIT"
                         : ast_list_count(select->locking) > 0 ? "FOR UPDATE/SHARE"
                                                               : NULL;
    int32_t location = ast_list_count(select->order) > 0 ? ast_list_at(select->order, 0)->location
                       : select->offset != NULL          ? select->offset->location
                       : select->limit != NULL           ? select->limit->location
                                                         : select->node.location;
    return clause == NULL ? ERR_OK
                          : bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
                                "%s in a recursive query is not implemented", clause);
}

/* The recursive term's columns must have the types of those it begins with. */
static enum err
match_columns(struct binder *binder, const struct cte *cte, struct shared *shared)
{
    uint32_t count = shared->column_count;
    struct query *step = shared->step;
    if (step->column_count != count) {
        return bind_error(binder, cte->ast->node.location, ERR_SYNTAX,
            "each UNION query must have the same number of columns");
    }
    shared->left_exprs = arena_alloc(binder->arena, (count + 1) * sizeof *shared->left_exprs);
    shared->right_exprs = arena_alloc(binder->arena, (count + 1) * sizeof *shared->right_exprs);
    for (uint32_t i = 0; i < count; i++) {
        const struct target *left = &shared->query->targets[i];
        TRY(query_type_unknown(binder, step, i, left->expr->type));
        const struct target *right = &step->targets[i];
        struct expr *sides[2] = {expr_register(binder, left->reg, left->expr->type,
                                     left->expr->typmod, left->expr->location),
            expr_register(
                binder, right->reg, right->expr->type, right->expr->typmod, right->expr->location)};
        oid_t type;
        TRY(bind_common_type(binder, sides, 2, "UNION", &type));
        if (type != left->expr->type) {
            (void)bind_error(binder, left->expr->location, ERR_DATATYPE_MISMATCH,
                "recursive query \"%s\" column %u has type %s in non-recursive term but type %s "
                "overall",
                cte->name, i + 1,
                type_format(
                    binder->context->env, binder->arena, left->expr->type, left->expr->typmod),
                bind_type_name(binder, type));
            diag_hint(
                binder->diag, "Cast the output of the non-recursive term to the correct type.");
            return ERR_DATATYPE_MISMATCH;
        }
        TRY(bind_coerce_list(binder, sides, 2, type, "UNION"));
        if (!shared->all && !type_is_ordered(type)) {
            return bind_error(binder, cte->ast->node.location, ERR_UNDEFINED_FUNCTION,
                "could not identify an equality operator for type %s",
                bind_type_name(binder, type));
        }
        shared->left_exprs[i] = sides[0];
        shared->right_exprs[i] = sides[1];
    }
    return ERR_OK;
}

/* *done false: it does not read itself after all. */
static enum err
bind_recursive(struct binder *binder, struct cte *cte, bool *done)
{
    const struct ast_select *select = ast_as_select(cte->ast->query);
    *done = false;
    if (!cte->recursive || cte->references < 2 || select->op != AST_SET_UNION) {
        return ERR_OK;
    }
    struct scope *inside = inside_of(binder, cte);
    struct query *own = arena_alloc(binder->arena, sizeof *own);
    own->first_reg = binder->next_reg;
    struct scope *scope = scope_new(binder, inside, own);
    TRY(bind_with(binder, scope, &select->with, select));
    struct shared *shared = shared_new(binder, cte);
    shared->all = select->all;
    cte->state = CTE_ANCHOR;
    TRY(bind_query(binder, scope, select->left, false, &shared->query));
    uint32_t count = shared->query->column_count;
    shared->column_count = count;
    shared->base = bind_registers(binder, count);
    shared->columns = arena_alloc(binder->arena, (count + 1) * sizeof *shared->columns);
    for (uint32_t i = 0; i < count; i++) {
        const struct target *from = &shared->query->targets[i];
        shared->columns[i] = (struct target){.name = from->name,
            .reg = shared->base + i,
            .expr =
                expr_register(binder, shared->base + i, from->expr->type, from->expr->typmod, -1)};
    }
    TRY(name_columns(binder, cte, shared->columns, count));
    cte->state = CTE_STEP;
    cte->shared = shared;
    cte->met = 0;
    TRY(bind_query(binder, scope, select->right, true, &shared->step));
    if (cte->met == 0) {
        cte->state = CTE_NEW;
        cte->shared = NULL;
        cte->recursive = false;
        return ERR_OK;
    }
    TRY(check_recursive_clauses(binder, select));
    if (shared->step->kind == QUERY_SELECT && shared->step->has_aggregates) {
        return bind_error(binder, select->right->node.location, ERR_INVALID_RECURSION,
            "aggregate functions are not allowed in a recursive query's recursive term");
    }
    TRY(match_columns(binder, cte, shared));
    shared->recursive = true;
    shared->query->correlated |= shared->step->correlated;
    cte->state = CTE_BOUND;
    *done = true;
    return ERR_OK;
}

/* ---- references ------------------------------------------------------------------------------ */

static bool
query_volatile(const struct query *query)
{
    for (uint32_t i = 0; i < query->target_count; i++) {
        if (expr_volatile(query->targets[i].expr)) {
            return true;
        }
    }
    return false;
}

/* Whether it is worth keeping its rows rather than running it again. */
static bool
query_heavy(const struct query *query)
{
    return query->kind == QUERY_SET || query->has_aggregates || query->group_count > 0 ||
           query->distinct || query->distinct_on_count > 0 || query->limit != NULL ||
           query->offset != NULL || query->has_windows;
}

static bool
runs_once(const struct cte *cte, const struct query *query)
{
    if (query->lock_count > 0) {
        return true;
    }
    if (cte->ast->materialized >= 0) {
        return cte->ast->materialized == 1;
    }
    return query_volatile(query) || (cte->references > 1 && query_heavy(query));
}

static void
mark_correlated(const struct scope *scope, const struct scope *found)
{
    for (const struct scope *at = scope; at != NULL && at != found; at = at->parent) {
        if (at->query != NULL) {
            at->query->correlated = true;
        }
    }
}

static struct rel *
rel_of(struct binder *binder, struct shared *shared, bool work)
{
    struct rel *rel = arena_alloc(binder->arena, sizeof *rel);
    rel->kind = REL_SHARED;
    rel->shared = shared;
    rel->work = work;
    rel->reg_count = shared->column_count;
    rel->base = bind_registers(binder, shared->column_count);
    return rel;
}

/* A reference from inside: of the recursive term to itself, or where there may be none. */
static enum err
bind_inside(struct binder *binder, struct scope *scope, struct cte *cte,
    const struct ast_table *table, struct rel **rel)
{
    int32_t location = table->node.location;
    if (cte->state != CTE_STEP) {
        const struct ast_node *query = cte->ast->query;
        bool is_union = query->kind == AST_SELECT && ast_as_select(query)->op == AST_SET_UNION;
        return is_union
                   ? bind_error(binder, location, ERR_INVALID_RECURSION,
                         "recursive reference to query \"%s\" must not appear within its "
                         "non-recursive term",
                         cte->name)
                   : bind_error(binder, cte->ast->node.location, ERR_INVALID_RECURSION,
                         "recursive query \"%s\" does not have the form non-recursive-term UNION "
                         "[ALL] recursive-term",
                         cte->name);
    }
    if (cte->met++ > 0) {
        return bind_error(binder, location, ERR_INVALID_RECURSION,
            "recursive reference to query \"%s\" must not appear more than once", cte->name);
    }
    *rel = rel_of(binder, cte->shared, true);
    /* Its rows change from round to round: nothing around it may be kept. */
    mark_correlated(scope, cte->scope);
    return ERR_OK;
}

enum err
bind_cte(struct binder *binder, struct scope *scope, struct scope *found, struct cte *cte,
    const struct ast_table *table, struct query **query, struct rel **rel)
{
    if (cte->state == CTE_ANCHOR || cte->state == CTE_STEP) {
        return bind_inside(binder, scope, cte, table, rel);
    }
    if (cte->state == CTE_NEW) {
        bool done;
        TRY(bind_recursive(binder, cte, &done));
    }
    if (cte->shared == NULL) {
        enum cte_state before = cte->state;
        if (cte->recursive) {
            cte->state = CTE_ANCHOR;
        }
        TRY(bind_select(binder, inside_of(binder, cte), ast_as_select(cte->ast->query), query));
        cte->state = before;
        TRY(name_columns(binder, cte, (*query)->targets, (*query)->column_count));
        if (runs_once(cte, *query)) {
            cte->shared = shared_new(binder, cte);
            cte->shared->query = *query;
            cte->shared->columns = (*query)->targets;
            cte->shared->column_count = (*query)->column_count;
            cte->state = CTE_BOUND;
        }
    }
    if (cte->shared != NULL && cte->shared->column_count == 0 && cte->shared->modify != NULL) {
        return bind_error(binder, table->node.location, ERR_FEATURE_NOT_SUPPORTED,
            "WITH query \"%s\" does not have a RETURNING clause", cte->name);
    }
    const struct query *own = cte->shared == NULL ? *query : cte->shared->query;
    if (own != NULL && own->correlated) {
        mark_correlated(scope, found);
    }
    if (cte->shared != NULL) {
        *query = NULL;
        *rel = rel_of(binder, cte->shared, false);
    }
    return ERR_OK;
}
