/*
 * sql/plan/live.c - which registers each operator must hand up, and which columns a scan must read.
 *
 * From the top down each operator learns what is wanted above it; what it reads itself is added on
 * the way to its children; from the bottom up it learns what can be had.
 */
#include "sql/plan/planner.h"

/* ---- what a node reads -------------------------------------------------------------------------
 */

struct expr_visitor {
    void (*visit)(void *arg, struct expr *expr);
    void *arg;
};

static void
visit_list(const struct expr_visitor *visitor, struct expr *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] != NULL) {
            visitor->visit(visitor->arg, list[i]);
        }
    }
}

static void
visit_targets(const struct expr_visitor *visitor, const struct plan_target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        visitor->visit(visitor->arg, targets[i].expr);
    }
}

static void
visit_modify(const struct expr_visitor *visitor, const struct plan_node *node)
{
    if (node->modify.columns != NULL) {
        visit_list(visitor, node->modify.columns, node->modify.relation->column_count);
    }
    visit_targets(visitor, node->modify.generated, node->modify.generated_count);
    visit_list(visitor, node->modify.checks, node->modify.check_count);
    visit_list(visitor, node->modify.recheck, node->modify.recheck_count);
    visit_targets(visitor, node->modify.returning, node->modify.returning_count);
}

static void
visit_aggregate(const struct expr_visitor *visitor, const struct plan_node *node)
{
    visit_targets(visitor, node->aggregate.groups, node->aggregate.group_count);
    for (uint32_t i = 0; i < node->aggregate.aggregate_count; i++) {
        const struct plan_aggregate *aggregate = &node->aggregate.aggregates[i];
        visit_list(visitor, aggregate->args, aggregate->arg_count);
        visit_targets(visitor, aggregate->order_targets, aggregate->order_count);
        visit_list(visitor, &aggregate->filter, 1);
    }
}

void
plan_node_exprs(
    const struct plan_node *node, void (*visit)(void *arg, struct expr *expr), void *arg)
{
    struct expr_visitor visitor = {.visit = visit, .arg = arg};
    visit_list(&visitor, node->filter, node->filter_count);
    switch (node->kind) {
    case PLAN_INDEX: {
        const struct plan_bounds *bounds = &node->scan.bounds;
        visit_list(&visitor, bounds->equal, bounds->equal_count);
        visit_list(&visitor, bounds->in_list, bounds->in_count);
        visit_list(&visitor, &bounds->low, 1);
        visit_list(&visitor, &bounds->high, 1);
        break;
    }
    case PLAN_VALUES:
        visit_list(
            &visitor, node->values.exprs, node->values.row_count * node->values.column_count);
        break;
    case PLAN_FUNCTION:
        visit_list(&visitor, node->function.args, node->function.arg_count);
        break;
    case PLAN_RESULT:
    case PLAN_PROJECT:
        visit_targets(&visitor, node->project.targets, node->project.count);
        break;
    case PLAN_NEST_LOOP:
    case PLAN_HASH_JOIN:
    case PLAN_MERGE_JOIN:
        visit_list(&visitor, node->join.condition, node->join.condition_count);
        visit_list(&visitor, node->join.outer_keys, node->join.key_count);
        visit_list(&visitor, node->join.inner_keys, node->join.key_count);
        break;
    case PLAN_SORT:
        visit_list(&visitor, &node->sort.bound, 1);
        break;
    case PLAN_LIMIT:
        visit_list(&visitor, &node->limit.count, 1);
        visit_list(&visitor, &node->limit.offset, 1);
        break;
    case PLAN_AGGREGATE:
        visit_aggregate(&visitor, node);
        break;
    case PLAN_WINDOW:
        visit_list(&visitor, node->window.frame.offsets, 2);
        visit_list(&visitor, node->window.frame.bounds, 2);
        break;
    case PLAN_LOCK:
        visit_list(&visitor, node->lock.recheck, node->lock.recheck_count);
        break;
    case PLAN_INSERT:
    case PLAN_UPDATE:
    case PLAN_DELETE:
        visit_modify(&visitor, node);
        break;
    case PLAN_SHARED:
    case PLAN_RECURSIVE:
    case PLAN_SCAN:
    case PLAN_VIRTUAL:
    case PLAN_REMOTE:
    case PLAN_FILTER:
    case PLAN_MATERIALIZE:
    case PLAN_DISTINCT:
    case PLAN_SET:
        break;
    }
}

struct register_visitor {
    void (*read)(void *arg, reg_t reg);
    void *arg;
};

static void
read_expr(void *arg, struct expr *expr)
{
    struct register_visitor *visitor = arg;
    expr_reads(expr, visitor->read, visitor->arg);
}

static void
read_relation(const struct plan_relation *relation, void (*read)(void *arg, reg_t reg), void *arg)
{
    for (uint16_t c = 0; c < relation->relation->column_count; c++) {
        if (!relation->relation->columns[c].dropped) {
            read(arg, relation->base + c);
        }
    }
    read(arg, relation->key_reg);
    read(arg, relation->version_reg);
}

void
plan_node_reads(const struct plan_node *node, void (*read)(void *arg, reg_t reg), void *arg)
{
    struct register_visitor visitor = {.read = read, .arg = arg};
    plan_node_exprs(node, read_expr, &visitor);
    switch (node->kind) {
    case PLAN_SORT:
        for (uint32_t i = 0; i < node->sort.key_count; i++) {
            read(arg, node->sort.keys[i].reg);
        }
        break;
    case PLAN_LIMIT:
        for (uint32_t i = 0; i < node->limit.tie_count; i++) {
            read(arg, node->limit.ties[i].reg);
        }
        break;
    case PLAN_DISTINCT:
        for (uint32_t i = 0; i < node->distinct.key_count; i++) {
            read(arg, node->distinct.keys[i].reg);
        }
        break;
    case PLAN_WINDOW:
        for (uint32_t i = 0; i < node->window.key_count; i++) {
            read(arg, node->window.keys[i].reg);
        }
        for (uint32_t i = 0; i < node->window.call_count; i++) {
            const struct plan_window_call *call = &node->window.calls[i];
            for (uint32_t a = 0; a < call->arg_count; a++) {
                read(arg, call->args[a]);
            }
            if (call->has_filter) {
                read(arg, call->filter);
            }
        }
        break;
    case PLAN_RECURSIVE:
        for (uint32_t i = 0; i < node->recursive.shared->column_count; i++) {
            read(arg, node->recursive.inputs[0][i]);
            read(arg, node->recursive.inputs[1][i]);
        }
        break;
    case PLAN_SET:
        for (uint32_t i = 0; i < node->set.column_count; i++) {
            read(arg, node->set.inputs[0][i]);
            read(arg, node->set.inputs[1][i]);
        }
        break;
    case PLAN_LOCK:
        for (uint32_t i = 0; i < node->lock.lock_count; i++) {
            read(arg, node->lock.locks[i].relation->key_reg);
            read(arg, node->lock.locks[i].relation->version_reg);
        }
        break;
    case PLAN_UPDATE:
    case PLAN_DELETE:
        read_relation(&node->modify.target, read, arg);
        break;
    default:
        break;
    }
}

/* ---- sets of registers -------------------------------------------------------------------------
 */

struct regs {
    uint64_t *words;
    uint32_t count; /* of registers */
};

static struct regs
regs_new(struct arena *arena, uint32_t count)
{
    return (struct regs){
        .words = arena_array(arena, (count + 64) / 64, sizeof(uint64_t)), .count = count};
}

static bool
regs_has(const struct regs *regs, reg_t reg)
{
    return reg < regs->count && (regs->words[reg / 64] >> (reg % 64) & 1) != 0;
}

static void
regs_add(void *arg, reg_t reg)
{
    struct regs *regs = arg;
    if (reg < regs->count) {
        regs->words[reg / 64] |= UINT64_C(1) << (reg % 64);
    }
}

static void
regs_union(struct regs *to, const struct regs *from)
{
    for (uint32_t i = 0; i < (to->count + 64) / 64; i++) {
        to->words[i] |= from->words[i];
    }
}

/* ---- marking --------------------------------------------------------------------------------- */

struct marker {
    struct planner *planner;
    struct arena *scratch;
    uint32_t reg_count;
    uint32_t walk; /* of subtree_reads */
};

static struct regs mark(struct marker *marker, struct plan_node *node, const struct regs *wanted);

static void mark_subplans(void *arg, struct expr *expr);

static enum err
mark_child(void *arg, struct expr *expr)
{
    mark_subplans(arg, expr);
    return ERR_OK;
}

static void
mark_subplans(void *arg, struct expr *expr)
{
    struct marker *marker = arg;
    if (expr->kind == EXPR_SUBPLAN && expr->subplan->root != NULL &&
        expr->subplan->root->live == NULL) {
        struct regs wanted = regs_new(marker->scratch, marker->reg_count);
        if (expr->subplan->kind != SUBPLAN_EXISTS) {
            regs_add(&wanted, expr->subplan->result);
        }
        (void)mark(marker, expr->subplan->root, &wanted);
    }
    (void)expr_children(expr, mark_child, marker);
}

static void
subtree_reads(const struct plan_node *node, uint32_t walk, struct regs *to)
{
    if (node == NULL) {
        return;
    }
    plan_node_reads(node, regs_add, to);
    if (node->kind == PLAN_SHARED && !node->shared.work && node->shared.shared->visited != walk) {
        node->shared.shared->visited = walk;
        subtree_reads(node->shared.shared->root, walk, to);
    }
    subtree_reads(node->children[0], walk, to);
    subtree_reads(node->children[1], walk, to);
}

/* What a WITH query runs: once, at the first of those that read it. */
static void
mark_shared(struct marker *marker, struct plan_shared *shared)
{
    if (shared->marked) {
        return;
    }
    shared->marked = true;
    struct regs wanted = regs_new(marker->scratch, marker->reg_count);
    for (uint32_t i = 0; i < shared->column_count; i++) {
        regs_add(&wanted, shared->regs[i]);
    }
    (void)mark(marker, shared->root, &wanted);
}

/* The columns to read, and whether an index alone has them. */
static void
mark_scan(
    struct marker *marker, struct plan_node *node, const struct regs *wanted, struct regs *produced)
{
    struct plan_relation *relation = &node->scan.relation;
    uint16_t count = relation->relation->column_count;
    uint16_t *columns = arena_alloc(marker->planner->arena, (count + 1U) * sizeof *columns);
    relation->column_count = 0;
    for (uint16_t c = 0; c < count; c++) {
        if (regs_has(wanted, relation->base + c) && !relation->relation->columns[c].dropped) {
            columns[relation->column_count++] = c;
            regs_add(produced, relation->base + c);
        }
    }
    relation->columns = columns;
    if (relation->identity) {
        regs_add(produced, relation->key_reg);
        regs_add(produced, relation->version_reg);
    }
    const struct index *index = node->scan.index;
    node->scan.index_only = node->kind == PLAN_INDEX && !index->primary && !relation->identity;
    for (uint32_t i = 0; i < relation->column_count && node->scan.index_only; i++) {
        node->scan.index_only = index_gives_column(relation->relation, index, columns[i]);
    }
}

/* What is wanted of a query of others. */
static void
mark_remote(
    struct marker *marker, struct plan_node *node, const struct regs *wanted, struct regs *produced)
{
    struct plan_remote *remote = node->remote;
    uint32_t *list = arena_alloc(marker->planner->arena, (remote->output_count + 1) * sizeof *list);
    remote->wanted_count = 0;
    for (uint32_t i = 0; i < remote->output_count; i++) {
        reg_t reg = remote->outputs[i].reg;
        bool merged = false;
        for (uint32_t k = 0; k < remote->order_count; k++) {
            merged |= remote->order[k].reg == reg;
        }
        if ((merged || regs_has(wanted, reg)) && !regs_has(produced, reg)) {
            list[remote->wanted_count++] = i;
            regs_add(produced, reg);
        }
    }
    remote->wanted = list;
}

static void
produce(
    struct marker *marker, struct plan_node *node, const struct regs *wanted, struct regs *produced)
{
    switch (node->kind) {
    case PLAN_SCAN:
    case PLAN_INDEX:
    case PLAN_VIRTUAL:
        mark_scan(marker, node, wanted, produced);
        break;
    case PLAN_REMOTE:
        mark_remote(marker, node, wanted, produced);
        break;
    case PLAN_VALUES:
        for (uint32_t i = 0; i < node->values.column_count; i++) {
            regs_add(produced, node->values.base + i);
        }
        break;
    case PLAN_FUNCTION:
        for (uint32_t i = 0; i < node->function.call_count; i++) {
            const struct plan_call *call = &node->function.calls[i];
            for (uint32_t c = 0; c < function_column_count(call->function); c++) {
                regs_add(produced, call->result + c);
            }
        }
        if (node->function.has_ordinality) {
            regs_add(produced, node->function.ordinality);
        }
        break;
    case PLAN_RESULT:
    case PLAN_PROJECT:
        for (uint32_t i = 0; i < node->project.count; i++) {
            regs_add(produced, node->project.targets[i].reg);
        }
        break;
    case PLAN_AGGREGATE:
        for (uint32_t i = 0; i < node->aggregate.group_count; i++) {
            regs_add(produced, node->aggregate.groups[i].reg);
        }
        for (uint32_t i = 0; i < node->aggregate.aggregate_count; i++) {
            regs_add(produced, node->aggregate.aggregates[i].result);
        }
        break;
    case PLAN_WINDOW:
        for (uint32_t i = 0; i < node->window.call_count; i++) {
            regs_add(produced, node->window.calls[i].result);
        }
        break;
    case PLAN_SHARED:
        for (uint32_t i = 0; i < node->shared.shared->column_count; i++) {
            regs_add(produced, node->shared.base + i);
        }
        if (!node->shared.work) {
            mark_shared(marker, node->shared.shared);
        }
        break;
    case PLAN_RECURSIVE:
        for (uint32_t i = 0; i < node->recursive.shared->column_count; i++) {
            regs_add(produced, node->recursive.base + i);
        }
        break;
    case PLAN_SET:
        for (uint32_t i = 0; i < node->set.column_count; i++) {
            regs_add(produced, node->set.base + i);
        }
        break;
    case PLAN_INSERT:
    case PLAN_UPDATE:
    case PLAN_DELETE:
        for (uint32_t i = 0; i < node->modify.returning_count; i++) {
            regs_add(produced, node->modify.returning[i].reg);
        }
        break;
    default:
        break;
    }
}

static bool
passes_on(enum plan_kind kind)
{
    return kind != PLAN_AGGREGATE && kind != PLAN_SET && kind != PLAN_RECURSIVE &&
           kind != PLAN_INSERT && kind != PLAN_UPDATE && kind != PLAN_DELETE;
}

static struct regs
mark(struct marker *marker, struct plan_node *node, const struct regs *wanted)
{
    struct regs below = regs_new(marker->scratch, marker->reg_count);
    struct regs produced = regs_new(marker->scratch, marker->reg_count);
    regs_union(&below, wanted);
    plan_node_reads(node, regs_add, &below);
    if (node->children[1] != NULL) {
        struct regs inner = mark(marker, node->children[1], &below);
        bool semi = node->kind != PLAN_SET && node->kind != PLAN_RECURSIVE &&
                    (node->join.kind == JOIN_SEMI || node->join.kind == JOIN_ANTI);
        if (passes_on(node->kind) && !semi) {
            regs_union(&produced, &inner);
        }
        if (node->kind != PLAN_SET) {
            subtree_reads(node->children[1], ++marker->walk,
                &below); /* a loop's inner side reads the outer row */
        }
    }
    if (node->children[0] != NULL) {
        struct regs outer = mark(marker, node->children[0], &below);
        if (passes_on(node->kind)) {
            regs_union(&produced, &outer);
        }
    }
    produce(marker, node, &below, &produced);
    plan_node_exprs(node, mark_subplans, marker);
    uint32_t count = 0;
    for (reg_t reg = 0; reg < marker->reg_count; reg++) {
        count += regs_has(wanted, reg) && regs_has(&produced, reg);
    }
    reg_t *live = arena_alloc(marker->planner->arena, (count + 1) * sizeof *live);
    node->live = live;
    node->live_count = count;
    for (reg_t reg = 0, at = 0; at < count; reg++) {
        if (regs_has(wanted, reg) && regs_has(&produced, reg)) {
            live[at++] = reg;
        }
    }
    return produced;
}

void
plan_mark_shared(struct planner *planner, struct plan_shared *const *shared, uint32_t count)
{
    struct arena scratch;
    arena_create(&scratch, "plan");
    struct marker marker = {
        .planner = planner, .scratch = &scratch, .reg_count = planner->binder->next_reg};
    for (uint32_t i = 0; i < count; i++) {
        mark_shared(&marker, shared[i]);
    }
    arena_destroy(&scratch);
}

void
plan_mark_live(
    struct planner *planner, struct plan_node *root, const reg_t *wanted, uint32_t wanted_count)
{
    struct arena scratch;
    arena_create(&scratch, "plan");
    struct marker marker = {
        .planner = planner, .scratch = &scratch, .reg_count = planner->binder->next_reg};
    struct regs set = regs_new(&scratch, marker.reg_count);
    for (uint32_t i = 0; i < wanted_count; i++) {
        regs_add(&set, wanted[i]);
    }
    (void)mark(&marker, root, &set);
    arena_destroy(&scratch);
}
