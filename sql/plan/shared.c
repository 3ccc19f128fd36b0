/*
 * sql/plan/shared.c - WITH queries that run once: recursive and data-modifying ones, MATERIALIZED
 * ones, and those whose answer would differ from one reading to the next.
 */
#include "sql/plan/planner.h"

enum {
    ROUNDS = 10, /* as PostgreSQL guesses */
};

static enum err
plan_recursive(struct planner *planner, const struct shared *shared, struct plan_shared *planned)
{
    struct path anchor, step;
    struct plan_node *node = plan_node_new(planner, PLAN_RECURSIVE, 0, 0, NULL);
    uint32_t count = shared->column_count;
    node->recursive.shared = planned;
    node->recursive.base = shared->base;
    node->recursive.all = shared->all;
    TRY(plan_side(
        planner, shared->query, shared->left_exprs, count, &anchor, &node->recursive.inputs[0]));
    planned->root = anchor.node; /* for the estimates of those that read it inside */
    TRY(plan_side(
        planner, shared->step, shared->right_exprs, count, &step, &node->recursive.inputs[1]));
    node->children[0] = anchor.node;
    node->children[1] = step.node;
    node->rows = anchor.rows + ROUNDS * step.rows;
    node->cost = anchor.cost + ROUNDS * step.cost;
    planned->root = node;
    reg_t *regs = arena_alloc(planner->arena, (count + 1) * sizeof *regs);
    for (uint32_t i = 0; i < count; i++) {
        regs[i] = shared->base + i;
    }
    planned->regs = regs;
    return ERR_OK;
}

enum err
plan_shared_query(struct planner *planner, struct shared *shared)
{
    if (shared->planned != NULL) {
        return ERR_OK;
    }
    struct plan_shared *planned = arena_alloc(planner->arena, sizeof *planned);
    uint32_t count = shared->column_count;
    shared->planned = planned;
    planned->name = shared->name;
    planned->column_count = count;
    planned->modifies = shared->modify != NULL;
    planned->round = bind_registers(planner->binder, 1);
    reg_t *regs = arena_alloc(planner->arena, (count + 1) * sizeof *regs);
    oid_t *types = arena_alloc(planner->arena, (count + 1) * sizeof *types);
    for (uint32_t i = 0; i < count; i++) {
        regs[i] = shared->columns[i].reg;
        types[i] = shared->columns[i].expr->type;
    }
    planned->regs = regs;
    planned->types = types;
    if (shared->recursive) {
        return plan_recursive(planner, shared, planned);
    }
    if (shared->modify != NULL) {
        return plan_modify_node(planner, shared->modify, &planned->root);
    }
    struct path path;
    reg_t base;
    TRY(plan_query(planner, shared->query, false, &base, &path));
    planned->root = path.node;
    return ERR_OK;
}

enum err
plan_shared_scan(struct planner *planner, const struct rel *rel, struct path *path)
{
    TRY(plan_shared_query(planner, rel->shared));
    struct plan_shared *planned = rel->shared->planned;
    double rows = planned->root == NULL ? 1 : planned->root->rows;
    rows = rows < 1 ? 1 : rel->work ? rows * ROUNDS : rows;
    path->node = plan_node_new(planner, PLAN_SHARED, rows, rows, NULL);
    path->node->shared.shared = planned;
    path->node->shared.base = rel->base;
    path->node->shared.work = rel->work;
    path->rows = rows;
    path->cost = rows;
    return ERR_OK;
}
