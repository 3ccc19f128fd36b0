/* sql/exec/analyze.c - what a plan node reads and fills. */
#include "sql/exec/exec_internal.h"

static void
list(struct expr *const *exprs, uint32_t count, exec__visit_expr *visit, void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        if (exprs[i] != NULL) {
            visit(arg, exprs[i]);
        }
    }
}

static void
one(const struct expr *expr, exec__visit_expr *visit, void *arg)
{
    if (expr != NULL) {
        visit(arg, expr);
    }
}

static void
targets(const struct plan_target *target, uint32_t count, exec__visit_expr *visit, void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        visit(arg, target[i].expr);
    }
}

static void
modify_exprs(const struct plan_node *node, exec__visit_expr *visit, void *arg)
{
    if (node->modify.columns != NULL) {
        list(node->modify.columns, node->modify.relation->column_count, visit, arg);
    }
    targets(node->modify.generated, node->modify.generated_count, visit, arg);
    list(node->modify.checks, node->modify.check_count, visit, arg);
    list(node->modify.recheck, node->modify.recheck_count, visit, arg);
    targets(node->modify.returning, node->modify.returning_count, visit, arg);
}

void
exec__visit_exprs(const struct plan_node *node, exec__visit_expr *visit, void *arg)
{
    list(node->filter, node->filter_count, visit, arg);
    switch (node->kind) {
    case PLAN_RESULT:
    case PLAN_PROJECT:
        targets(node->project.targets, node->project.count, visit, arg);
        break;
    case PLAN_VALUES:
        list(node->values.exprs, node->values.row_count * node->values.column_count, visit, arg);
        break;
    case PLAN_INDEX:
        list(node->scan.bounds.equal, node->scan.bounds.equal_count, visit, arg);
        list(node->scan.bounds.in_list, node->scan.bounds.in_count, visit, arg);
        one(node->scan.bounds.low, visit, arg);
        one(node->scan.bounds.high, visit, arg);
        break;
    case PLAN_FUNCTION:
        list(node->function.args, node->function.arg_count, visit, arg);
        break;
    case PLAN_NEST_LOOP:
    case PLAN_HASH_JOIN:
    case PLAN_MERGE_JOIN:
        list(node->join.condition, node->join.condition_count, visit, arg);
        list(node->join.outer_keys, node->join.key_count, visit, arg);
        list(node->join.inner_keys, node->join.key_count, visit, arg);
        break;
    case PLAN_SORT:
        one(node->sort.bound, visit, arg);
        break;
    case PLAN_LIMIT:
        one(node->limit.count, visit, arg);
        one(node->limit.offset, visit, arg);
        break;
    case PLAN_AGGREGATE:
        targets(node->aggregate.groups, node->aggregate.group_count, visit, arg);
        for (uint32_t i = 0; i < node->aggregate.aggregate_count; i++) {
            const struct plan_aggregate *aggregate = &node->aggregate.aggregates[i];
            list(aggregate->args, aggregate->arg_count, visit, arg);
            targets(aggregate->order_targets, aggregate->order_count, visit, arg);
            one(aggregate->filter, visit, arg);
        }
        break;
    case PLAN_WINDOW:
        for (int side = 0; side < 2; side++) {
            one(node->window.frame.offsets[side], visit, arg);
            one(node->window.frame.bounds[side], visit, arg);
        }
        break;
    case PLAN_LOCK:
        list(node->lock.recheck, node->lock.recheck_count, visit, arg);
        break;
    case PLAN_INSERT:
    case PLAN_UPDATE:
    case PLAN_DELETE:
        modify_exprs(node, visit, arg);
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

static void
fill_relation(const struct plan_relation *relation, exec__visit_reg *visit, void *arg)
{
    for (uint32_t i = 0; i < relation->column_count; i++) {
        uint16_t column = relation->columns[i];
        visit(arg, relation->base + column, relation->relation->columns[column].type);
    }
    if (relation->identity) {
        visit(arg, relation->key_reg, TYPE_BYTEA);
        visit(arg, relation->version_reg, TYPE_BYTEA);
    }
}

static void
fill_targets(const struct plan_target *target, uint32_t count, exec__visit_reg *visit, void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        visit(arg, target[i].reg, target[i].expr->type);
    }
}

void
exec__visit_fills(const struct plan_node *node, exec__visit_reg *visit, void *arg)
{
    switch (node->kind) {
    case PLAN_RESULT:
    case PLAN_PROJECT:
        fill_targets(node->project.targets, node->project.count, visit, arg);
        break;
    case PLAN_VALUES:
        for (uint32_t i = 0; i < node->values.column_count && node->values.row_count > 0; i++) {
            visit(arg, node->values.base + i, node->values.exprs[i]->type);
        }
        break;
    case PLAN_SCAN:
    case PLAN_INDEX:
    case PLAN_VIRTUAL:
        fill_relation(&node->scan.relation, visit, arg);
        break;
    case PLAN_REMOTE:
        for (uint32_t i = 0; i < node->remote->wanted_count; i++) {
            const struct plan_remote_output *output =
                &node->remote->outputs[node->remote->wanted[i]];
            visit(arg, output->reg, output->type);
        }
        break;
    case PLAN_FUNCTION:
        for (uint32_t i = 0; i < node->function.call_count; i++) {
            const struct plan_call *call = &node->function.calls[i];
            for (uint32_t c = 0; c < function_column_count(call->function); c++) {
                visit(arg, call->result + c, function_column_type(call->function, c));
            }
        }
        if (node->function.has_ordinality) {
            visit(arg, node->function.ordinality, TYPE_INT8);
        }
        break;
    case PLAN_AGGREGATE:
        fill_targets(node->aggregate.groups, node->aggregate.group_count, visit, arg);
        for (uint32_t i = 0; i < node->aggregate.aggregate_count; i++) {
            const struct plan_aggregate *aggregate = &node->aggregate.aggregates[i];
            visit(arg, aggregate->result, aggregate->function->result);
            fill_targets(aggregate->order_targets, aggregate->order_count, visit, arg);
        }
        break;
    case PLAN_SHARED:
        for (uint32_t i = 0; i < node->shared.shared->column_count; i++) {
            visit(arg, node->shared.base + i, node->shared.shared->types[i]);
        }
        break;
    case PLAN_RECURSIVE:
        for (uint32_t i = 0; i < node->recursive.shared->column_count; i++) {
            visit(arg, node->recursive.base + i, node->recursive.shared->types[i]);
        }
        visit(arg, node->recursive.shared->round, TYPE_INT8);
        break;
    case PLAN_WINDOW:
        for (uint32_t i = 0; i < node->window.call_count; i++) {
            visit(arg, node->window.calls[i].result, node->window.calls[i].type);
        }
        for (int side = 0; side < 2; side++) {
            if (node->window.frame.offsets[side] != NULL) {
                visit(arg, node->window.frame.offset_regs[side],
                    node->window.frame.offset_types[side]);
            }
        }
        break;
    case PLAN_SET:
        for (uint32_t i = 0; i < node->set.column_count; i++) {
            visit(arg, node->set.base + i, node->set.types[i]);
        }
        break;
    case PLAN_INSERT:
    case PLAN_UPDATE:
    case PLAN_DELETE:
        if (node->modify.columns != NULL) {
            for (uint32_t i = 0; i < node->modify.relation->column_count; i++) {
                visit(arg, node->modify.new_base + i, node->modify.relation->columns[i].type);
            }
        }
        fill_targets(node->modify.returning, node->modify.returning_count, visit, arg);
        if (node->kind == PLAN_UPDATE && node->children[0] == NULL) {
            fill_relation(&node->modify.target, visit, arg); /* by ON CONFLICT */
        }
        break;
    case PLAN_FILTER:
    case PLAN_NEST_LOOP:
    case PLAN_HASH_JOIN:
    case PLAN_MERGE_JOIN:
    case PLAN_MATERIALIZE:
    case PLAN_SORT:
    case PLAN_LIMIT:
    case PLAN_DISTINCT:
    case PLAN_LOCK:
        break;
    }
}

void
exec__visit_reads(const struct plan_node *node, exec__visit_reg *visit, void *arg)
{
    switch (node->kind) {
    case PLAN_SORT:
        for (uint32_t i = 0; i < node->sort.key_count; i++) {
            visit(arg, node->sort.keys[i].reg, node->sort.keys[i].type);
        }
        break;
    case PLAN_LIMIT:
        for (uint32_t i = 0; i < node->limit.tie_count; i++) {
            visit(arg, node->limit.ties[i].reg, node->limit.ties[i].type);
        }
        break;
    case PLAN_DISTINCT:
        for (uint32_t i = 0; i < node->distinct.key_count; i++) {
            visit(arg, node->distinct.keys[i].reg, node->distinct.keys[i].type);
        }
        break;
    case PLAN_SHARED:
        if (node->shared.work) {
            visit(arg, node->shared.shared->round, TYPE_INT8);
        }
        break;
    case PLAN_RECURSIVE:
        for (uint32_t i = 0; i < node->recursive.shared->column_count; i++) {
            visit(arg, node->recursive.inputs[0][i], node->recursive.shared->types[i]);
            visit(arg, node->recursive.inputs[1][i], node->recursive.shared->types[i]);
        }
        break;
    case PLAN_WINDOW:
        for (uint32_t i = 0; i < node->window.key_count; i++) {
            visit(arg, node->window.keys[i].reg, node->window.keys[i].type);
        }
        for (uint32_t i = 0; i < node->window.call_count; i++) {
            const struct plan_window_call *call = &node->window.calls[i];
            for (uint32_t a = 0; a < call->arg_count; a++) {
                visit(arg, call->args[a], call->arg_types[a]);
            }
            if (call->has_filter) {
                visit(arg, call->filter, TYPE_BOOL);
            }
        }
        break;
    case PLAN_SET:
        for (uint32_t i = 0; i < node->set.column_count; i++) {
            visit(arg, node->set.inputs[0][i], node->set.types[i]);
            visit(arg, node->set.inputs[1][i], node->set.types[i]);
        }
        break;
    case PLAN_LOCK:
        for (uint32_t i = 0; i < node->lock.lock_count; i++) {
            visit(arg, node->lock.locks[i].relation->key_reg, TYPE_BYTEA);
            visit(arg, node->lock.locks[i].relation->version_reg, TYPE_BYTEA);
        }
        break;
    default:
        break;
    }
}
