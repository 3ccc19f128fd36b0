/* sql/exec/compile.c - from plan nodes to what an execution runs. */
#include "sql/exec/compile_internal.h"

/* ---- registers: which ones hold pointers, who reads whom
 * ---------------------------------------- */

struct survey {
    struct compiler *compiler;
    bool *reads, *fills;               /* NULL: only by_reference is gathered */
    const struct plan_shared **shared; /* met already */
    uint32_t shared_count, shared_capacity;
    bool is_volatile; /* the same registers may give something else the next time */
};

static enum err survey_node(struct survey *survey, const struct plan_node *node);

struct expr_survey {
    struct survey *survey;
    enum err err;
};

static void
survey_expr(void *arg, const struct expr *expr)
{
    struct expr_survey *in = arg;
    struct survey *survey = in->survey;
    if (in->err == ERR_OK) {
        in->err = compile__check_depth(survey->compiler);
    }
    if (in->err != ERR_OK) {
        return;
    }
    if (expr->kind == EXPR_REGISTER && survey->reads != NULL) {
        survey->reads[expr->reg] = true;
    }
    if (!exec__has_list(expr)) {
        return;
    }
    survey->is_volatile |=
        expr->function != NULL && (expr->function->flags & FUNCTION_VOLATILE) != 0;
    for (uint32_t i = 0; i < expr->count; i++) {
        survey_expr(arg, expr->list[i]);
    }
    if (expr->kind == EXPR_SUBPLAN && in->err == ERR_OK) {
        in->err = survey_node(survey, expr->subplan->root);
        if (survey->reads != NULL) {
            survey->reads[expr->subplan->result] = true;
        }
    }
}

static void
survey_fill(void *arg, reg_t reg, oid_t type)
{
    struct survey *survey = arg;
    ASSERT(reg < survey->compiler->plan->register_count);
    if (survey->fills != NULL) {
        survey->fills[reg] = true;
    }
    const struct type *known = type_by_oid(type);
    if (known == NULL || known->by_reference) {
        survey->compiler->by_reference[reg] = true;
    }
}

static void
survey_read(void *arg, reg_t reg, oid_t type)
{
    (void)type;
    struct survey *survey = arg;
    ASSERT(reg < survey->compiler->plan->register_count);
    if (survey->reads != NULL) {
        survey->reads[reg] = true;
    }
}

/* A WITH query once per survey, however often it is read. */
static enum err
survey_shared(struct survey *survey, const struct plan_shared *shared)
{
    for (uint32_t i = 0; i < survey->shared_count; i++) {
        if (survey->shared[i] == shared) {
            return ERR_OK;
        }
    }
    if (survey->shared_count == survey->shared_capacity) {
        survey->shared = compile__grow(survey->compiler->arena, (void *)(uintptr_t)survey->shared,
            survey->shared_count, &survey->shared_capacity, sizeof(struct plan_shared *));
    }
    survey->shared[survey->shared_count++] = shared;
    return survey_node(survey, shared->root);
}

static bool
node_is_volatile(const struct plan_node *node)
{
    switch (node->kind) {
    case PLAN_LOCK:
    case PLAN_INSERT:
    case PLAN_UPDATE:
    case PLAN_DELETE:
        return true;
    case PLAN_SHARED:
        return node->shared.work; /* of somebody outside, perhaps */
    case PLAN_FUNCTION:
        for (uint32_t i = 0; i < node->function.call_count; i++) {
            if ((node->function.calls[i].function->flags & FUNCTION_VOLATILE) != 0) {
                return true;
            }
        }
        return false;
    default:
        return false;
    }
}

static enum err
survey_node(struct survey *survey, const struct plan_node *node)
{
    survey->is_volatile |= node_is_volatile(node);
    struct expr_survey in = {.survey = survey};
    exec__visit_exprs(node, survey_expr, &in);
    TRY(in.err);
    exec__visit_fills(node, survey_fill, survey);
    exec__visit_reads(node, survey_read, survey);
    if (node->kind == PLAN_SHARED && !node->shared.work) {
        TRY(compile__check_depth(survey->compiler));
        TRY(survey_shared(survey, node->shared.shared));
    }
    for (int i = 0; i < 2; i++) {
        if (node->children[i] != NULL) {
            TRY(compile__check_depth(survey->compiler));
            TRY(survey_node(survey, node->children[i]));
        }
    }
    return ERR_OK;
}

static struct survey
survey_new(struct compiler *compiler)
{
    uint32_t count = compiler->plan->register_count;
    return (struct survey){
        .compiler = compiler,
        .reads = arena_array(compiler->arena, (size_t)count + 1, sizeof(bool)),
        .fills = arena_array(compiler->arena, (size_t)count + 1, sizeof(bool)),
    };
}

static void
list_external(const struct survey *survey_done, struct reg_list *list)
{
    const struct survey survey = *survey_done;
    struct compiler *compiler = survey.compiler;
    uint32_t count = compiler->plan->register_count;
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        found += survey.reads[i] && !survey.fills[i] ? 1 : 0;
    }
    reg_t *regs = arena_array(compiler->arena, (size_t)found + 1, sizeof *regs);
    bool *by_reference = arena_array(compiler->arena, (size_t)found + 1, sizeof(bool));
    list->regs = regs;
    list->by_reference = by_reference;
    for (uint32_t i = 0; i < count; i++) {
        if (survey.reads[i] && !survey.fills[i]) {
            by_reference[list->count] = compiler->by_reference[i];
            regs[list->count++] = i;
        }
    }
}

/* Registers that the subtree reads and somebody outside fills. */
static enum err
find_external(struct compiler *compiler, const struct plan_node *node, struct reg_list *list)
{
    struct survey survey = survey_new(compiler);
    TRY(survey_node(&survey, node));
    list_external(&survey, list);
    return ERR_OK;
}

/* May the subquery's one answer be kept for the next row with the same values? */
static enum err
find_memo(struct compiler *compiler, const struct subplan *plan, struct subplan_code *code)
{
    if (!plan->correlated || (plan->kind != SUBPLAN_SCALAR && plan->kind != SUBPLAN_EXISTS)) {
        return ERR_OK;
    }
    struct survey survey = survey_new(compiler);
    TRY(survey_node(&survey, plan->root));
    if (plan->kind == SUBPLAN_SCALAR) {
        survey.reads[plan->result] = true; /* it may be a register from outside itself */
    }
    list_external(&survey, &code->external);
    code->memo = !survey.is_volatile;
    return ERR_OK;
}

/* A node's live registers and, if they are not among them, more. */
static void
list_saved(struct compiler *compiler, const struct plan_node *node, const reg_t *more,
    uint32_t more_count, struct reg_list *list)
{
    uint32_t room = node->live_count + more_count;
    reg_t *regs = arena_array(compiler->arena, (size_t)room + 1, sizeof *regs);
    bool *by_reference = arena_array(compiler->arena, (size_t)room + 1, sizeof(bool));
    uint32_t count = 0;
    for (uint32_t i = 0; i < room; i++) {
        reg_t reg = i < node->live_count ? node->live[i] : more[i - node->live_count];
        bool known = false;
        for (uint32_t j = 0; j < count && i >= node->live_count; j++) {
            known = known || regs[j] == reg;
        }
        if (!known) {
            by_reference[count] = compiler->by_reference[reg];
            regs[count++] = reg;
        }
    }
    *list = (struct reg_list){.regs = regs, .by_reference = by_reference, .count = count};
}

static uint32_t
saved_at(const struct reg_list *list, reg_t reg)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->regs[i] == reg) {
            return i;
        }
    }
    ASSERT(false);
    return 0;
}

static bool
is_by_reference(oid_t type)
{
    const struct type *known = type_by_oid(type);
    return known == NULL || known->by_reference;
}

static void
list_types(struct compiler *compiler, struct expr *const *exprs, uint32_t count,
    const oid_t **types_out, const bool **by_reference_out)
{
    oid_t *types = arena_array(compiler->arena, (size_t)count + 1, sizeof *types);
    bool *by_reference = arena_array(compiler->arena, (size_t)count + 1, sizeof(bool));
    for (uint32_t i = 0; i < count; i++) {
        types[i] = exprs[i]->type;
        by_reference[i] = is_by_reference(types[i]);
    }
    *types_out = types;
    *by_reference_out = by_reference;
}

/* ---- nodes by kind
 * ------------------------------------------------------------------------------------ */

static enum err
compile_bounds(struct compiler *compiler, const struct plan_bounds *bounds, struct node_code *code)
{
    code->scan.equal =
        arena_array(compiler->arena, (size_t)bounds->equal_count + 1, sizeof(struct code));
    for (uint32_t i = 0; i < bounds->equal_count; i++) {
        TRY(compile__value(compiler, bounds->equal[i], &code->scan.equal[i]));
    }
    code->scan.in_list =
        arena_array(compiler->arena, (size_t)bounds->in_count + 1, sizeof(struct code));
    for (uint32_t i = 0; i < bounds->in_count; i++) {
        TRY(compile__value(compiler, bounds->in_list[i], &code->scan.in_list[i]));
    }
    if (bounds->low != NULL) {
        TRY(compile__value(compiler, bounds->low, &code->scan.low));
    }
    if (bounds->high != NULL) {
        TRY(compile__value(compiler, bounds->high, &code->scan.high));
    }
    return ERR_OK;
}

static uint32_t
last_wanted(const int32_t *targets, uint32_t count)
{
    while (count > 0 && targets[count - 1] < 0) {
        count--;
    }
    return count;
}

/* Which columns of an entry, or of the row's key behind it, go into which registers. */
static void
map_index_only(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    const struct plan_relation *relation = &node->scan.relation;
    const struct index *index = node->scan.index;
    const struct index *primary = relation->relation->primary;
    uint16_t primary_count = primary == NULL ? 0 : primary->column_count;
    int32_t *key = arena_array(compiler->arena, (size_t)index->column_count + 1, sizeof *key);
    int32_t *row_key = arena_array(compiler->arena, (size_t)primary_count + 1, sizeof *row_key);
    int32_t *included =
        arena_array(compiler->arena, (size_t)index->included_count + 1, sizeof *included);
    memset(included, 0xFF, index->included_count * sizeof *included);
    memset(key, 0xFF, index->column_count * sizeof *key);
    memset(row_key, 0xFF, primary_count * sizeof *row_key);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        uint16_t column = relation->columns[i];
        int32_t *place = NULL;
        for (uint16_t j = 0; j < primary_count; j++) {
            place = primary->columns[j] == column ? &row_key[j] : place;
        }
        for (uint16_t j = 0; j < index->included_count; j++) {
            place = index->columns[index->column_count + j] == column ? &included[j] : place;
        }
        for (uint16_t j = 0; j < index->column_count; j++) {
            place = index->columns[j] == column ? &key[j] : place;
        }
        ASSERT(place != NULL);
        *place = (int32_t)(relation->base + column);
    }
    code->scan.included_targets = included;
    code->scan.included_target_count = last_wanted(included, index->included_count);
    code->scan.key_targets = key;
    code->scan.row_key_targets = row_key;
    code->scan.key_target_count = last_wanted(key, index->column_count);
    code->scan.row_key_target_count = last_wanted(row_key, primary_count);
}

static enum err
compile_scan(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    const struct relation *relation = node->scan.relation.relation;
    code->kind = &exec__scan;
    code->scan.tree = relation->tree;
    if (node->kind == PLAN_SCAN) {
        return ERR_OK;
    }
    const struct index *index = node->scan.index;
    const struct plan_bounds *bounds = &node->scan.bounds;
    code->scan.index = index;
    code->scan.secondary = !index->primary;
    code->scan.tree = index->primary ? relation->tree : index->tree;
    code->scan.point =
        index->unique && bounds->equal_count == index->column_count && bounds->in_count == 0;
    if (code->scan.point && !(node->scan.index_only && code->scan.secondary)) {
        code->kind = &exec__point;
    }
    if (node->scan.index_only && code->scan.secondary) {
        map_index_only(compiler, node, code);
    }
    return compile_bounds(compiler, bounds, code);
}

static enum err
compile_join(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    TRY(compile__filter(
        compiler, node->join.condition, node->join.condition_count, &code->join.condition));
    list_saved(compiler, node->children[0], NULL, 0, &code->nulls[0]);
    list_saved(compiler, node->children[1], NULL, 0, &code->nulls[1]);
    if (node->kind == PLAN_NEST_LOOP) {
        code->kind = &exec__nest_loop;
        return node->join.kind == JOIN_FULL && node->children[1]->kind != PLAN_MATERIALIZE
                   ? diag_set(compiler->diag, ERR_FEATURE_NOT_SUPPORTED,
                         "FULL JOIN is only supported with merge-joinable or hash-joinable join "
                         "conditions")
                   : ERR_OK;
    }
    code->kind = node->kind == PLAN_HASH_JOIN ? &exec__hash_join : &exec__merge_join;
    ASSERT(node->kind == PLAN_HASH_JOIN || node->join.kind != JOIN_FULL);
    uint32_t count = node->join.key_count;
    code->join.outer_slot = compile__slots(compiler, count);
    code->join.inner_slot = compile__slots(compiler, count);
    TRY(compile__list(
        compiler, node->join.outer_keys, count, code->join.outer_slot, &code->join.outer_keys));
    TRY(compile__list(
        compiler, node->join.inner_keys, count, code->join.inner_slot, &code->join.inner_keys));
    list_types(compiler, node->join.inner_keys, count, &code->join.key_types,
        &code->join.key_by_reference);
    list_saved(compiler, node->children[1], NULL, 0, &code->saved);
    return find_external(compiler, node->children[1], &code->external);
}

static enum err
compile_sort(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    uint32_t count = node->sort.key_count;
    reg_t *regs = arena_array(compiler->arena, (size_t)count + 1, sizeof *regs);
    for (uint32_t i = 0; i < count; i++) {
        regs[i] = node->sort.keys[i].reg;
    }
    list_saved(compiler, node->children[0], regs, count, &code->saved);
    struct key_code *keys = arena_array(compiler->arena, (size_t)count + 1, sizeof *keys);
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_sort_key *key = &node->sort.keys[i];
        keys[i] = (struct key_code){.slot = saved_at(&code->saved, key->reg),
            .type = key->type,
            .descending = key->descending,
            .nulls_first = key->nulls_first};
    }
    code->sort.keys = keys;
    code->kind = &exec__sort;
    if (node->sort.bound != NULL) {
        code->sort.has_bound = true;
        TRY(compile__value(compiler, node->sort.bound, &code->sort.bound));
    }
    return ERR_OK;
}

static enum err
compile_limit(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    code->kind = &exec__limit;
    if (node->limit.count != NULL) {
        code->limit.has_count = true;
        TRY(compile__value(compiler, node->limit.count, &code->limit.count));
    }
    if (node->limit.offset != NULL) {
        code->limit.has_offset = true;
        TRY(compile__value(compiler, node->limit.offset, &code->limit.offset));
    }
    return ERR_OK;
}

/* The kept tuple is the arguments, then the order's values, then the group's number; DISTINCT sorts
 * by all arguments in the end, so that equal ones are neighbours. */
static void
compile_gather(
    struct compiler *compiler, const struct plan_aggregate *plan, struct aggregate_code *code)
{
    uint32_t count = plan->order_count + (plan->distinct ? plan->arg_count : 0);
    struct key_code *all = arena_array(compiler->arena, (size_t)count + 1, sizeof *all);
    struct key_code *keys = all + 1;
    all[0] = (struct key_code){.slot = plan->arg_count + plan->order_count, .type = TYPE_INT8};
    for (uint32_t i = 0; i < plan->order_count; i++) {
        const struct plan_sort_key *key = &plan->order[i];
        uint32_t at = 0;
        while (at < plan->order_count && plan->order_targets[at].reg != key->reg) {
            at++;
        }
        ASSERT(at < plan->order_count);
        keys[i] = (struct key_code){.slot = plan->arg_count + at,
            .type = key->type,
            .descending = key->descending,
            .nulls_first = key->nulls_first};
    }
    for (uint32_t i = plan->order_count; i < count; i++) {
        uint32_t arg = i - plan->order_count;
        keys[i] = (struct key_code){.slot = arg, .type = plan->args[arg]->type};
    }
    code->order = all;
    code->order_count = count;
}

static enum err
compile_one_aggregate(
    struct compiler *compiler, const struct plan_aggregate *plan, struct aggregate_code *code)
{
    enum {
        COUNT_STAR = 2803
    };
    code->plan = plan;
    code->strict = (plan->function->flags & FUNCTION_STRICT) != 0;
    code->gathers = plan->distinct || plan->order_count > 0;
    code->counts_rows = plan->function->oid == COUNT_STAR && plan->arg_count == 0;
    code->arg_count = plan->arg_count;
    /* Arguments and order values lie side by side: together they are the tuple that is kept. */
    code->arg_slot = compile__slots(compiler, plan->arg_count + plan->order_count + 1);
    if (plan->arg_count == 1 && !code->gathers && plan->args[0]->kind == EXPR_REGISTER) {
        code->arg_slot = plan->args[0]->reg; /* where it stands already */
    } else {
        TRY(compile__list(compiler, plan->args, plan->arg_count, code->arg_slot, &code->args));
    }
    struct expr **order =
        arena_array(compiler->arena, (size_t)plan->order_count + 1, sizeof(struct expr *));
    oid_t *types = arena_array(
        compiler->arena, (size_t)plan->arg_count + plan->order_count + 1, sizeof *types);
    for (uint32_t i = 0; i < plan->arg_count; i++) {
        types[i] = plan->args[i]->type;
    }
    for (uint32_t i = 0; i < plan->order_count; i++) {
        order[i] = plan->order_targets[i].expr;
        types[plan->arg_count + i] = order[i]->type;
    }
    uint32_t tuple_count = plan->arg_count + plan->order_count;
    bool *by_reference = arena_array(compiler->arena, (size_t)tuple_count + 1, sizeof(bool));
    for (uint32_t i = 0; i < tuple_count; i++) {
        by_reference[i] = is_by_reference(types[i]);
    }
    code->arg_types = types;
    code->tuple_by_reference = by_reference;
    TRY(compile__list(
        compiler, order, plan->order_count, code->arg_slot + plan->arg_count, &code->order_values));
    if (plan->filter != NULL) {
        code->has_filter = true;
        struct expr *filter = plan->filter;
        TRY(compile__filter(compiler, &filter, 1, &code->filter));
    }
    if (code->gathers) {
        compile_gather(compiler, plan, code);
    }
    return ERR_OK;
}

static enum err
compile_aggregate(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    uint32_t group_count = node->aggregate.group_count;
    uint32_t count = node->aggregate.aggregate_count;
    code->kind =
        node->aggregate.sorted && group_count > 0 ? &exec__aggregate_sorted : &exec__aggregate_hash;
    struct expr **groups =
        arena_array(compiler->arena, (size_t)group_count + 1, sizeof(struct expr *));
    for (uint32_t i = 0; i < group_count; i++) {
        groups[i] = node->aggregate.groups[i].expr;
    }
    code->aggregate.group_slot = compile__slots(compiler, group_count);
    TRY(compile__list(
        compiler, groups, group_count, code->aggregate.group_slot, &code->aggregate.groups));
    list_types(
        compiler, groups, group_count, &code->aggregate.types, &code->aggregate.by_reference);
    struct aggregate_code *aggregates =
        arena_array(compiler->arena, (size_t)count + 1, sizeof *aggregates);
    code->aggregate.aggregates = aggregates;
    list_saved(compiler, node->children[0], NULL, 0, &code->saved);
    for (uint32_t i = 0; i < count; i++) {
        TRY(compile_one_aggregate(compiler, &node->aggregate.aggregates[i], &aggregates[i]));
        aggregates[i].state_at = code->aggregate.states_size;
        size_t size = exec__aggregate_state_size(&aggregates[i]);
        code->aggregate.states_size += (uint32_t)((size + 15) & ~(size_t)15);
    }
    return ERR_OK;
}

static enum err
compile_distinct(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    uint32_t count = node->distinct.key_count;
    struct key_code *keys = arena_array(compiler->arena, (size_t)count + 1, sizeof *keys);
    oid_t *types = arena_array(compiler->arena, (size_t)count + 1, sizeof *types);
    bool *by_reference = arena_array(compiler->arena, (size_t)count + 1, sizeof(bool));
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = (struct key_code){
            .slot = node->distinct.keys[i].reg, .type = node->distinct.keys[i].type};
        types[i] = keys[i].type;
        by_reference[i] = is_by_reference(types[i]);
    }
    list_saved(compiler, node->children[0], NULL, 0, &code->saved);
    code->distinct.keys = keys;
    code->distinct.types = types;
    code->distinct.by_reference = by_reference;
    code->kind = node->distinct.sorted ? &exec__distinct_sorted : &exec__distinct_hash;
    return ERR_OK;
}

static enum err compile_node(struct compiler *compiler, const struct plan_node *node,
    bool main_tree, struct node_code **code_out);

static void mark_again(struct node_code *code, bool again);

/* The code of a WITH query; compiled at the first that reads it. */
static enum err
compile_shared(
    struct compiler *compiler, const struct plan_shared *plan, const struct shared_code **result)
{
    for (uint32_t i = 0; i < compiler->shared_count; i++) {
        if (compiler->shared[i]->plan == plan) {
            *result = compiler->shared[i];
            return ERR_OK;
        }
    }
    if (compiler->shared_count == compiler->shared_capacity) {
        compiler->shared = compile__grow(compiler->arena, (void *)(uintptr_t)compiler->shared,
            compiler->shared_count, &compiler->shared_capacity, sizeof(struct shared_code *));
    }
    struct shared_code *code = arena_alloc(compiler->arena, sizeof *code);
    code->plan = plan;
    code->number = compiler->shared_count;
    compiler->shared[compiler->shared_count++] = code;
    bool *by_reference = arena_array(compiler->arena, (size_t)plan->column_count + 1, sizeof(bool));
    for (uint32_t i = 0; i < plan->column_count; i++) {
        by_reference[i] = is_by_reference(plan->types[i]);
    }
    code->columns = (struct reg_list){
        .regs = plan->regs, .by_reference = by_reference, .count = plan->column_count};
    TRY(find_external(compiler, plan->root, &code->external));
    *result = code;
    struct builder before = compile__begin(compiler);
    compiler->stack += STACK_OF_SUBPLAN;
    enum err err = compile_node(compiler, plan->root, false, &code->root);
    compiler->stack -= STACK_OF_SUBPLAN;
    (void)compile__end(compiler, before, 0);
    if (err == ERR_OK) {
        mark_again(code->root, code->external.count > 0);
    }
    return err;
}

static enum err
compile_window(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    const struct plan_frame *frame = &node->window.frame;
    uint32_t calls = node->window.call_count, count = node->window.key_count;
    bool range = frame->bounds[0] != NULL || frame->bounds[1] != NULL;
    reg_t *regs = arena_array(
        compiler->arena, count + 1 + (size_t)calls * (FUNCTION_ARGS_MAX + 1) + 1, sizeof *regs);
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < count; i++) {
        regs[wanted++] = node->window.keys[i].reg;
    }
    for (uint32_t i = 0; i < calls; i++) {
        const struct plan_window_call *call = &node->window.calls[i];
        for (uint32_t a = 0; a < call->arg_count; a++) {
            regs[wanted++] = call->args[a];
        }
        if (call->has_filter) {
            regs[wanted++] = call->filter;
        }
    }
    if (range) {
        regs[wanted++] = frame->range_key;
    }
    list_saved(compiler, node->children[0], regs, wanted, &code->saved);
    struct key_code *keys = arena_array(compiler->arena, (size_t)count + 1, sizeof *keys);
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_sort_key *key = &node->window.keys[i];
        keys[i] = (struct key_code){.slot = saved_at(&code->saved, key->reg),
            .type = key->type,
            .descending = key->descending,
            .nulls_first = key->nulls_first};
    }
    code->window.keys = keys;
    uint32_t *arg_at =
        arena_array(compiler->arena, (size_t)calls * FUNCTION_ARGS_MAX + 1, sizeof *arg_at);
    uint32_t *filter_at = arena_array(compiler->arena, (size_t)calls + 1, sizeof *filter_at);
    for (uint32_t i = 0; i < calls; i++) {
        const struct plan_window_call *call = &node->window.calls[i];
        for (uint32_t a = 0; a < call->arg_count; a++) {
            arg_at[i * FUNCTION_ARGS_MAX + a] = saved_at(&code->saved, call->args[a]);
        }
        if (call->has_filter) {
            filter_at[i] = saved_at(&code->saved, call->filter);
        }
    }
    code->window.arg_at = arg_at;
    code->window.filter_at = filter_at;
    code->window.range_at = range ? saved_at(&code->saved, frame->range_key) : 0;
    for (int side = 0; side < 2; side++) {
        if (frame->offsets[side] != NULL) {
            TRY(compile__value(compiler, frame->offsets[side], &code->window.offsets[side]));
        }
        if (frame->bounds[side] != NULL) {
            TRY(compile__value(compiler, frame->bounds[side], &code->window.bounds[side]));
        }
    }
    code->kind = &exec__window;
    return ERR_OK;
}

static enum err
compile_set(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    bool *by_reference =
        arena_array(compiler->arena, (size_t)node->set.column_count + 1, sizeof(bool));
    for (uint32_t i = 0; i < node->set.column_count; i++) {
        by_reference[i] = is_by_reference(node->set.types[i]);
    }
    code->set.by_reference = by_reference;
    code->kind = &exec__set;
    return ERR_OK;
}

static bool
is_changed(const struct plan_node *node, uint32_t column)
{
    for (uint32_t j = 0; j < node->modify.changed_count; j++) {
        if (column == node->modify.changed[j]) {
            return true;
        }
    }
    return false;
}

struct change_search {
    const struct plan_node *node;
    bool found;
};

static void
search_change(void *arg, reg_t reg)
{
    struct change_search *search = arg;
    search->found |= is_changed(search->node, reg);
}

static bool
derived_changes(const struct plan_node *node, uint32_t number)
{
    struct change_search search = {.node = node};
    expr_reads(node->modify.derived[number], search_change, &search);
    return search.found;
}

/* Do the index's entries depend on a column that is SET? */
static bool
touches_index(const struct plan_node *node, const struct index *index)
{
    bool touches = index->partial > 0 && derived_changes(node, index->partial - 1U);
    for (uint32_t i = 0; i < (uint32_t)index->column_count + index->included_count; i++) {
        uint16_t column = index->columns[i];
        touches =
            touches || (column < INDEX_DERIVED ? is_changed(node, column)
                                               : derived_changes(node, column - INDEX_DERIVED));
    }
    return touches;
}

static void
list_returning(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    uint32_t count = node->modify.returning_count;
    reg_t *regs = arena_array(compiler->arena, (size_t)count + 1, sizeof *regs);
    bool *by_reference = arena_array(compiler->arena, (size_t)count + 1, sizeof(bool));
    for (uint32_t i = 0; i < count; i++) {
        regs[i] = node->modify.returning[i].reg;
        by_reference[i] = compiler->by_reference[regs[i]];
    }
    code->saved = (struct reg_list){.regs = regs, .by_reference = by_reference, .count = count};
}

static enum err
compile_modify(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    const struct relation *relation = node->modify.relation;
    code->kind = node->kind == PLAN_INSERT   ? &exec__insert
                 : node->kind == PLAN_UPDATE ? &exec__update
                                             : &exec__delete;
    if (node->modify.columns != NULL) {
        TRY(compile__list(compiler, node->modify.columns, relation->column_count,
            node->modify.new_base, &code->modify.columns));
    }
    TRY(compile__targets(
        compiler, node->modify.generated, node->modify.generated_count, &code->modify.generated));
    code->modify.checks =
        arena_array(compiler->arena, (size_t)node->modify.check_count + 1, sizeof(struct code));
    for (uint32_t i = 0; i < node->modify.check_count; i++) {
        TRY(compile__value(compiler, node->modify.checks[i], &code->modify.checks[i]));
    }
    TRY(compile__filter(
        compiler, node->modify.recheck, node->modify.recheck_count, &code->modify.recheck));
    TRY(compile__targets(
        compiler, node->modify.returning, node->modify.returning_count, &code->modify.returning));
    list_returning(compiler, node, code);
    bool *touched =
        arena_array(compiler->arena, (size_t)relation->index_count + 1, sizeof *touched);
    code->modify.touched = touched;
    for (uint16_t i = 0; i < relation->index_count && node->kind == PLAN_UPDATE; i++) {
        const struct index *index = &relation->indexes[i];
        touched[i] = touches_index(node, index);
        code->modify.derives |= touched[i] && index_has_derived(index);
        code->modify.key_changes |= touched[i] && index->primary;
    }
    return ERR_OK;
}

static enum err
compile_values(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    code->kind = &exec__values;
    code->values.exprs =
        arena_array(compiler->arena, (size_t)node->values.row_count + 1, sizeof(struct code));
    for (uint32_t i = 0; i < node->values.row_count; i++) {
        TRY(compile__list(compiler, node->values.exprs + (size_t)i * node->values.column_count,
            node->values.column_count, node->values.base, &code->values.exprs[i]));
    }
    return ERR_OK;
}

static void
list_wanted(struct compiler *compiler, const struct plan_remote *remote, struct reg_list *list)
{
    uint32_t count = remote->wanted_count;
    reg_t *regs = arena_array(compiler->arena, (size_t)count + 1, sizeof *regs);
    bool *by_reference = arena_array(compiler->arena, (size_t)count + 1, sizeof(bool));
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_remote_output *output = &remote->outputs[remote->wanted[i]];
        regs[i] = output->reg;
        by_reference[i] = is_by_reference(output->type);
    }
    *list = (struct reg_list){.regs = regs, .by_reference = by_reference, .count = count};
}

static enum err
compile_kind(struct compiler *compiler, const struct plan_node *node, struct node_code *code)
{
    switch (node->kind) {
    case PLAN_RESULT:
        code->kind = &exec__result;
        code->project.once = code->filter;
        code->filter = (struct code){0};
        return compile__targets(
            compiler, node->project.targets, node->project.count, &code->project.targets);
    case PLAN_PROJECT:
        code->kind = &exec__project;
        return compile__targets(
            compiler, node->project.targets, node->project.count, &code->project.targets);
    case PLAN_VALUES:
        return compile_values(compiler, node, code);
    case PLAN_SCAN:
    case PLAN_INDEX:
        return compile_scan(compiler, node, code);
    case PLAN_VIRTUAL:
        code->kind = &exec__virtual;
        return ERR_OK;
    case PLAN_REMOTE:
        code->kind = &exec__remote;
        list_wanted(compiler, node->remote, &code->saved);
        return ERR_OK;
    case PLAN_FUNCTION:
        code->kind = &exec__function;
        code->function.arg_slot = compile__slots(compiler, node->function.arg_count);
        return compile__list(compiler, node->function.args, node->function.arg_count,
            code->function.arg_slot, &code->function.args);
    case PLAN_FILTER:
        code->kind = &exec__filter;
        return ERR_OK;
    case PLAN_NEST_LOOP:
    case PLAN_HASH_JOIN:
    case PLAN_MERGE_JOIN:
        return compile_join(compiler, node, code);
    case PLAN_MATERIALIZE:
        code->kind = &exec__materialize;
        list_saved(compiler, node->children[0], NULL, 0, &code->saved);
        return find_external(compiler, node, &code->external);
    case PLAN_SORT:
        return compile_sort(compiler, node, code);
    case PLAN_LIMIT:
        return compile_limit(compiler, node, code);
    case PLAN_AGGREGATE:
        return compile_aggregate(compiler, node, code);
    case PLAN_SHARED:
        code->kind = &exec__shared;
        return compile_shared(compiler, node->shared.shared, &code->shared.code);
    case PLAN_RECURSIVE:
        code->kind = &exec__recursive;
        TRY(compile_shared(compiler, node->recursive.shared, &code->shared.code));
        code->shared.by_reference = code->shared.code->columns.by_reference;
        return ERR_OK;
    case PLAN_WINDOW:
        return compile_window(compiler, node, code);
    case PLAN_DISTINCT:
        return compile_distinct(compiler, node, code);
    case PLAN_SET:
        return compile_set(compiler, node, code);
    case PLAN_LOCK:
        code->kind = &exec__lock;
        return compile__filter(
            compiler, node->lock.recheck, node->lock.recheck_count, &code->lock.recheck);
    case PLAN_INSERT:
    case PLAN_UPDATE:
    case PLAN_DELETE:
        return compile_modify(compiler, node, code);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

/* ---- the tree
 * ----------------------------------------------------------------------------------------- */

static uint32_t
count_nodes(const struct plan_node *node)
{
    return node == NULL ? 0 : 1 + count_nodes(node->children[0]) + count_nodes(node->children[1]);
}

/* Rows of elsewhere that are read more than once must be kept: below whatever starts its child
 * anew. A leaf reads no register, so what is kept stays right. */
static void
mark_again(struct node_code *code, bool again)
{
    if (code == NULL) {
        return;
    }
    enum plan_kind kind = code->plan->kind;
    bool kept = kind == PLAN_MATERIALIZE && code->external.count == 0;
    bool loops = kind == PLAN_NEST_LOOP || kind == PLAN_RECURSIVE;
    code->again = again;
    mark_again(code->children[0], again && !kept);
    mark_again(code->children[1], again || loops);
}

static void
add_node(struct compiler *compiler, struct node_code *code)
{
    struct exec_program *program = compiler->program;
    uint32_t capacity = program->node_count;
    if (code->number >= capacity) {
        uint32_t more = code->number < 16 ? 16 : code->number * 2;
        struct node_code **nodes = arena_array(compiler->arena, more, sizeof(void *));
        if (capacity > 0) {
            memcpy(nodes, program->nodes, capacity * sizeof(void *));
        }
        program->nodes = nodes;
        program->node_count = more;
    }
    program->nodes[code->number] = code;
}

static enum err
compile_node(struct compiler *compiler, const struct plan_node *node, bool main_tree,
    struct node_code **code_out)
{
    TRY(compile__check_depth(compiler));
    struct node_code *code = arena_alloc(compiler->arena, sizeof *code);
    code->plan = node;
    code->number = main_tree ? compiler->next_main++ : compiler->next_sub++;
    add_node(compiler, code);
    compiler->stack += STACK_OF_NODE;
    if (compiler->stack > compiler->program->stack_size) {
        compiler->program->stack_size = compiler->stack;
    }
    for (int i = 0; i < 2; i++) {
        if (node->children[i] != NULL) {
            TRY(compile_node(compiler, node->children[i], main_tree, &code->children[i]));
        }
    }
    TRY(compile__filter(compiler, node->filter, node->filter_count, &code->filter));
    TRY(compile_kind(compiler, node, code));
    compiler->stack -= STACK_OF_NODE;
    *code_out = code;
    return ERR_OK;
}

bool
compile__is_equality(const struct function *function)
{
    if (function == NULL || function->args[0] != function->args[1]) {
        return false;
    }
    const struct function *equality = operator_compare_function("=", function->args[0]);
    return equality != NULL && equality->call == function->call;
}

enum err
compile__subplan(struct compiler *compiler, const struct expr *expr, struct subplan_code **code_out)
{
    const struct subplan *plan = expr->subplan;
    struct subplan_code *code = arena_alloc(compiler->arena, sizeof *code);
    code->plan = plan;
    code->function = expr->function;
    code->type = expr->type;
    struct exec_program *program = compiler->program;
    code->number = program->subplan_count++;
    /* The program around this expression waits meanwhile. */
    struct builder before = compile__begin(compiler);
    compiler->stack += STACK_OF_SUBPLAN;
    enum err err = compile_node(compiler, plan->root, false, &code->root);
    compiler->stack -= STACK_OF_SUBPLAN;
    (void)compile__end(compiler, before, 0);
    TRY(err);
    mark_again(code->root, plan->correlated);
    TRY(find_memo(compiler, plan, code));
    if ((plan->kind == SUBPLAN_ANY || plan->kind == SUBPLAN_ALL)) {
        code->type = expr->function->args[1];
        if (plan->kind == SUBPLAN_ANY && !plan->correlated &&
            compile__is_equality(expr->function)) {
            code->hash_type = expr->function->args[0];
        }
    }
    *code_out = code;
    return ERR_OK;
}

static size_t
aligned(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

static size_t
state_size(const struct exec_program *program)
{
    size_t size = aligned(sizeof(struct exec));
    size += aligned(program->slot_count * sizeof(struct datum));
    size += aligned(program->node_count * sizeof(struct node *));
    size += aligned(program->subplan_count * sizeof(struct subplan_state));
    size += aligned(program->shared_count * sizeof(struct shared_state));
    for (uint32_t i = 0; i < program->node_count; i++) {
        size += aligned(program->nodes[i]->kind->state_size);
    }
    return size;
}

enum err
exec_compile(struct arena *arena, const struct plan *plan, struct exec_program **program_out,
    struct diag *diag)
{
    struct exec_program *program = arena_alloc(arena, sizeof *program);
    program->plan = plan;
    program->main_count = count_nodes(plan->root);
    struct compiler compiler = {
        .arena = arena,
        .diag = diag,
        .plan = plan,
        .program = program,
        .by_reference = arena_array(arena, (size_t)plan->register_count + 1, sizeof(bool)),
        .stack_start = (uintptr_t)__builtin_frame_address(0),
        .slots = plan->register_count + plan->param_count,
        .param_slot = plan->register_count,
        .next_sub = program->main_count,
    };
    struct survey survey = {.compiler = &compiler};
    TRY(survey_node(&survey, plan->root));
    for (uint32_t i = 0; i < plan->modifying_count; i++) {
        TRY(survey_shared(&survey, plan->modifying[i]));
    }
    for (uint32_t i = 0; i < plan->modifying_count; i++) {
        const struct shared_code *shared;
        TRY(compile_shared(&compiler, plan->modifying[i], &shared));
    }
    TRY(compile_node(&compiler, plan->root, true, &program->root));
    mark_again(program->root, false);
    program->shared = compiler.shared;
    program->shared_count = compiler.shared_count;
    program->node_count = compiler.next_sub;
    program->constants = compiler.constants;
    program->constant_count = compiler.constant_count;
    program->param_slot = compiler.param_slot;
    program->slot_count = compiler.slots;
    program->state_size = state_size(program);
    *program_out = program;
    return ERR_OK;
}

/* ---- one expression alone
 * ----------------------------------------------------------------------------- */

struct param_count {
    struct compiler *compiler;
    uint32_t count;
    enum err err;
};

static void
count_params(struct param_count *in, const struct expr *expr)
{
    in->err = compile__check_depth(in->compiler);
    if (in->err != ERR_OK) {
        return;
    }
    if (expr->kind == EXPR_PARAM && expr->param >= in->count) {
        in->count = expr->param + 1;
    }
    for (uint32_t i = 0; exec__has_list(expr) && i < expr->count && in->err == ERR_OK; i++) {
        count_params(in, expr->list[i]);
    }
}

enum err
exec_evaluate(struct eval *eval, const struct expr *expr, const struct datum *registers,
    const struct datum *params, struct datum *result)
{
    if (expr->kind == EXPR_CONST) {
        *result = expr->constant;
        return ERR_OK;
    }
    if (eval->task != NULL && task_stack_left(eval->task) < COMPILE_STACK_MAX + 16 * 1024) {
        return diag_set(eval->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    struct compiler compiler = {
        .arena = eval->arena,
        .diag = eval->diag,
        .stack_start = (uintptr_t)__builtin_frame_address(0),
    };
    struct param_count in = {.compiler = &compiler};
    count_params(&in, expr);
    TRY(in.err);
    uint32_t param_count = in.count;
    compiler.slots = param_count;
    struct code code;
    TRY(compile__value(&compiler, expr, &code));
    struct machine machine = {
        .frame = arena_array(eval->arena, (size_t)compiler.slots + 1, sizeof(struct datum)),
        .eval = *eval,
    };
    if (param_count > 0) {
        ASSERT(params != NULL);
        memcpy(machine.frame, params, param_count * sizeof *params);
    }
    for (uint32_t i = 0; i < compiler.loose_count; i++) {
        ASSERT(registers != NULL);
        machine.frame[compiler.loose[i].slot] = registers[compiler.loose[i].reg];
    }
    for (uint32_t i = 0; i < compiler.constant_count; i++) {
        machine.frame[compiler.constants[i].slot] = compiler.constants[i].value;
    }
    enum err err = code.count == 0 ? ERR_OK : exec__run(&machine, &code, eval->arena);
    buffer_destroy(&machine.text);
    TRY(err);
    *result = machine.frame[code.result];
    return ERR_OK;
}
