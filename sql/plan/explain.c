/*
 * sql/plan/explain.c - a plan as EXPLAIN prints it, in PostgreSQL's layout.
 *
 * Where Tusk has an operator that PostgreSQL has not (a catalog view, a filter over a subquery) the
 * name says what it is. Projections are not shown, as there.
 */
#include "sql/plan/planner.h"

#include <stdio.h>

enum {
    NONE = UINT32_MAX,
};

struct explainer {
    struct deparser deparser;
    struct arena *arena;
    struct plan_explain_style style;
    bool qualified;
    const struct plan_counter *counters;
    const struct plan_places *places;
    uint32_t next_counter; /* preorder number of the next node */
    uint32_t pending;      /* subqueries from this one on are to be shown by the next node */
    void (*line)(void *arg, const char *text);
    void *arg;
    struct buffer text;
    struct buffer *json; /* FORMAT JSON: where it goes; then there are no lines */
    uint32_t json_depth; /* of the object being written */
    bool json_first;     /* nothing is in it yet */
};

/* ---- names of registers ------------------------------------------------------------------------
 */

static uint32_t
count_relations(const struct plan_node *node)
{
    if (node == NULL) {
        return 0;
    }
    uint32_t own = node->kind == PLAN_SCAN || node->kind == PLAN_INDEX ||
                   node->kind == PLAN_VIRTUAL || node->kind == PLAN_FUNCTION;
    return own + count_relations(node->children[0]) + count_relations(node->children[1]);
}

static const char *
expr_text(struct explainer *explainer, const struct expr *expr)
{
    struct buffer text = {0};
    deparse_expr(&explainer->deparser, expr, &text);
    char *copy = arena_strndup(explainer->arena, (const char *)text.data, text.size);
    buffer_destroy(&text);
    return copy;
}

static void
name_targets(struct explainer *explainer, const struct plan_target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        deparse_name_add(
            &explainer->deparser, targets[i].reg, expr_text(explainer, targets[i].expr));
    }
}

static void
name_columns(struct explainer *explainer, const struct plan_relation *relation, reg_t base,
    const char *alias)
{
    for (uint32_t i = 0; i < relation->column_count; i++) {
        uint16_t c = relation->columns[i];
        deparse_name_add(&explainer->deparser, base + c,
            arena_printf(explainer->arena, "%s.%s", alias, relation->relation->columns[c].name));
    }
}

static void
name_relation(struct explainer *explainer, const struct plan_relation *relation)
{
    for (uint32_t i = 0; i < relation->column_count; i++) {
        uint16_t c = relation->columns[i];
        const char *name = relation->relation->columns[c].name;
        deparse_name_add(&explainer->deparser, relation->base + c,
            explainer->qualified ? arena_printf(explainer->arena, "%s.%s", relation->alias, name)
                                 : name);
    }
}

static void
name_aggregates(struct explainer *explainer, const struct plan_node *node)
{
    for (uint32_t i = 0; i < node->aggregate.aggregate_count; i++) {
        const struct plan_aggregate *aggregate = &node->aggregate.aggregates[i];
        struct buffer text = {0};
        buffer_printf(
            &text, "%s(%s", aggregate->function->name, aggregate->distinct ? "DISTINCT " : "");
        for (uint32_t a = 0; a < aggregate->arg_count; a++) {
            buffer_add_text(&text, a > 0 ? ", " : "");
            deparse_expr(&explainer->deparser, aggregate->args[a], &text);
        }
        buffer_add_text(&text, aggregate->arg_count == 0 ? "*)" : ")");
        deparse_name_add(&explainer->deparser, aggregate->result,
            arena_strndup(explainer->arena, (const char *)text.data, text.size));
        buffer_destroy(&text);
    }
}

static void
name_node(struct explainer *explainer, const struct plan_node *node)
{
    if (node == NULL) {
        return;
    }
    name_node(explainer, node->children[0]);
    name_node(explainer, node->children[1]);
    switch (node->kind) {
    case PLAN_SCAN:
    case PLAN_INDEX:
    case PLAN_VIRTUAL:
        name_relation(explainer, &node->scan.relation);
        break;
    case PLAN_REMOTE:
        for (uint32_t i = 0; i < node->remote->output_count; i++) {
            const struct plan_remote_output *output = &node->remote->outputs[i];
            deparse_name_add(&explainer->deparser, output->reg, output->text);
        }
        break;
    case PLAN_FUNCTION:
        for (uint32_t i = 0; i < node->function.call_count; i++) {
            const struct plan_call *call = &node->function.calls[i];
            for (uint32_t c = 0; c < function_column_count(call->function); c++) {
                deparse_name_add(&explainer->deparser, call->result + c,
                    call->function->set != NULL && call->function->set->column_count > 0
                        ? call->function->set->column_names[c]
                        : call->function->name);
            }
        }
        break;
    case PLAN_VALUES:
        for (uint32_t i = 0; i < node->values.column_count; i++) {
            deparse_name_add(&explainer->deparser, node->values.base + i,
                arena_printf(explainer->arena, "\"*VALUES*\".column%u", i + 1));
        }
        break;
    case PLAN_RESULT:
    case PLAN_PROJECT:
        name_targets(explainer, node->project.targets, node->project.count);
        break;
    case PLAN_AGGREGATE:
        name_targets(explainer, node->aggregate.groups, node->aggregate.group_count);
        name_aggregates(explainer, node);
        break;
    case PLAN_UPDATE:
        if (node->children[0] == NULL) { /* of ON CONFLICT: two rows of one table */
            name_columns(explainer, &node->modify.target, node->modify.target.base,
                node->modify.target.alias);
        }
        break;
    case PLAN_INSERT:
        if (node->children[1] != NULL) {
            name_columns(
                explainer, &node->children[1]->modify.target, node->modify.new_base, "excluded");
        }
        break;
    case PLAN_SET:
        for (uint32_t i = 0; i < node->set.column_count; i++) {
            deparse_name_add(&explainer->deparser, node->set.base + i,
                deparse_name_find(&explainer->deparser, node->set.inputs[0][i]));
        }
        break;
    default:
        break;
    }
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* ---- FORMAT JSON: what is a line of details is a property -------------------------------------
 */

static void
json_break(struct explainer *explainer)
{
    buffer_add_text(explainer->json, explainer->json_first ? "\n" : ",\n");
    explainer->json_first = false;
    for (uint32_t i = 0; i < explainer->json_depth; i++) {
        buffer_add_text(explainer->json, "  ");
    }
}

static void
json_key(struct explainer *explainer, const char *key)
{
    json_break(explainer);
    buffer_printf(explainer->json, "\"%s\": ", key);
}

static void
json_quote(struct buffer *to, const char *text, size_t size)
{
    buffer_add_u8(to, '"');
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c == '"' || c == '\\') {
            buffer_add_u8(to, '\\');
            buffer_add_u8(to, c);
        } else if (c < ' ') {
            buffer_printf(to, "\\u%04x", c);
        } else {
            buffer_add_u8(to, c);
        }
    }
    buffer_add_u8(to, '"');
}

static void
json_text(struct explainer *explainer, const char *key, const char *value)
{
    json_key(explainer, key);
    json_quote(explainer->json, value, strlen(value));
}

static void
json_open(struct explainer *explainer, const char *bracket)
{
    buffer_add_text(explainer->json, bracket);
    explainer->json_depth++;
    explainer->json_first = true;
}

static void
json_close(struct explainer *explainer, const char *bracket)
{
    explainer->json_depth--;
    explainer->json_first = true;
    json_break(explainer);
    buffer_add_text(explainer->json, bracket);
    explainer->json_first = false;
}

/* "a, f(b, c)" as a list of two. */
static void
json_list(struct explainer *explainer, const char *key, const char *values)
{
    json_key(explainer, key);
    buffer_add_text(explainer->json, "[");
    int parentheses = 0;
    const char *start = values;
    for (const char *at = values;; at++) {
        parentheses += *at == '(' ? 1 : *at == ')' ? -1 : 0;
        if (*at != '\0' && (parentheses > 0 || strncmp(at, ", ", 2) != 0)) {
            continue;
        }
        json_quote(explainer->json, start, (size_t)(at - start));
        if (*at == '\0') {
            break;
        }
        buffer_add_text(explainer->json, ", ");
        start = at + 2;
    }
    buffer_add_text(explainer->json, "]");
}

static void
json_detail(struct explainer *explainer, const char *line)
{
    const char *colon = strstr(line, ": ");
    if (colon == NULL) {
        return;
    }
    const char *key = arena_strndup(explainer->arena, line, (size_t)(colon - line));
    bool list = strcmp(key, "Sort Key") == 0 || strcmp(key, "Group Key") == 0 ||
                strcmp(key, "Conflict Arbiter Indexes") == 0;
    (list ? json_list : json_text)(explainer, key, colon + 2);
}

static void
indent(struct explainer *explainer, uint32_t depth)
{
    depth = explainer->json != NULL ? 0 : depth;
    explainer->text.size = 0;
    for (uint32_t i = 0; i < depth; i++) {
        buffer_add_text(&explainer->text, " ");
    }
}

static void
end_line(struct explainer *explainer)
{
    buffer_add_u8(&explainer->text, 0);
    if (explainer->json != NULL) {
        json_detail(explainer, (const char *)explainer->text.data);
        return;
    }
    explainer->line(explainer->arg, (const char *)explainer->text.data);
}

static void
conditions(struct explainer *explainer, uint32_t depth, const char *title, struct expr *const *list,
    uint32_t count)
{
    if (count == 0) {
        return;
    }
    indent(explainer, depth);
    buffer_printf(&explainer->text, "%s: %s", title, count > 1 ? "(" : "");
    for (uint32_t i = 0; i < count; i++) {
        buffer_add_text(&explainer->text, i > 0 ? " AND " : "");
        deparse_expr(&explainer->deparser, list[i], &explainer->text);
    }
    buffer_add_text(&explainer->text, count > 1 ? ")" : "");
    end_line(explainer);
}

static void
add_bound(struct explainer *explainer, const struct plan_node *node, uint32_t column,
    const char *op, const struct expr *value, uint32_t *count)
{
    const struct plan_relation *relation = &node->scan.relation;
    const char *name = catalog_index_column_text(explainer->deparser.env, explainer->deparser.arena,
        relation->relation, node->scan.index, (uint16_t)column, true);
    buffer_printf(&explainer->text, "%s(%s %s ", *count > 0 ? " AND " : "", name, op);
    deparse_expr(&explainer->deparser, value, &explainer->text);
    buffer_add_text(&explainer->text, ")");
    (*count)++;
}

static void
index_condition(struct explainer *explainer, uint32_t depth, const struct plan_node *node)
{
    const struct plan_bounds *bounds = &node->scan.bounds;
    uint32_t parts = bounds->equal_count + (bounds->in_count > 0) + (bounds->low != NULL) +
                     (bounds->high != NULL);
    if (parts == 0) {
        return;
    }
    indent(explainer, depth);
    buffer_printf(&explainer->text, "Index Cond: %s", parts > 1 ? "(" : "");
    uint32_t count = 0;
    for (uint32_t i = 0; i < bounds->equal_count; i++) {
        add_bound(explainer, node, i, "=", bounds->equal[i], &count);
    }
    uint32_t next = bounds->equal_count;
    if (bounds->in_count > 0) {
        const struct plan_relation *relation = &node->scan.relation;
        buffer_printf(&explainer->text, "%s(%s = ANY (%s", count > 0 ? " AND " : "",
            catalog_index_column_text(explainer->deparser.env, explainer->deparser.arena,
                relation->relation, node->scan.index, (uint16_t)next, true),
            bounds->in_array ? "" : "ARRAY[");
        for (uint32_t i = 0; i < bounds->in_count; i++) {
            buffer_add_text(&explainer->text, i > 0 ? ", " : "");
            deparse_expr(&explainer->deparser, bounds->in_list[i], &explainer->text);
        }
        buffer_add_text(&explainer->text, bounds->in_array ? "))" : "]))");
    }
    if (bounds->low != NULL) {
        add_bound(explainer, node, next, bounds->low_exclusive ? ">" : ">=", bounds->low, &count);
    }
    if (bounds->high != NULL) {
        add_bound(explainer, node, next, bounds->high_exclusive ? "<" : "<=", bounds->high, &count);
    }
    buffer_add_text(&explainer->text, parts > 1 ? ")" : "");
    end_line(explainer);
}

static void
keys(struct explainer *explainer, uint32_t depth, const char *title,
    const struct plan_sort_key *list, uint32_t count)
{
    indent(explainer, depth);
    buffer_printf(&explainer->text, "%s: ", title);
    for (uint32_t i = 0; i < count; i++) {
        buffer_printf(&explainer->text, "%s%s%s%s", i > 0 ? ", " : "",
            deparse_name_find(&explainer->deparser, list[i].reg), list[i].descending ? " DESC" : "",
            list[i].descending == list[i].nulls_first ? ""
            : list[i].nulls_first                     ? " NULLS FIRST"
                                                      : " NULLS LAST");
    }
    end_line(explainer);
}

static void
hash_condition(struct explainer *explainer, uint32_t depth, const struct plan_node *node)
{
    indent(explainer, depth);
    uint32_t count = node->join.key_count;
    buffer_printf(&explainer->text, "Hash Cond: %s", count > 1 ? "(" : "");
    for (uint32_t i = 0; i < count; i++) {
        buffer_add_text(&explainer->text, i > 0 ? " AND (" : "(");
        deparse_expr(&explainer->deparser, node->join.outer_keys[i], &explainer->text);
        buffer_add_text(&explainer->text, " = ");
        deparse_expr(&explainer->deparser, node->join.inner_keys[i], &explainer->text);
        buffer_add_text(&explainer->text, ")");
    }
    buffer_add_text(&explainer->text, count > 1 ? ")" : "");
    end_line(explainer);
}

static const char *
join_word(enum join_kind kind)
{
    switch (kind) {
    case JOIN_LEFT:
        return " Left";
    case JOIN_FULL:
        return " Full";
    case JOIN_SEMI:
        return " Semi";
    case JOIN_ANTI:
        return " Anti";
    case JOIN_INNER:
        break;
    }
    return "";
}

static const char *
relation_title(struct explainer *explainer, const char *what, const struct plan_relation *relation)
{
    bool renamed =
        relation->alias != NULL && strcmp(relation->alias, relation->relation->name) != 0;
    return arena_printf(explainer->arena, "%s on %s%s%s", what, relation->relation->name,
        renamed ? " " : "", renamed ? relation->alias : "");
}

static const char *
scan_title(struct explainer *explainer, const struct plan_node *node)
{
    if (node->kind == PLAN_SCAN) {
        return relation_title(explainer, "Seq Scan", &node->scan.relation);
    }
    if (node->kind == PLAN_VIRTUAL) {
        return relation_title(explainer, "Catalog Scan", &node->scan.relation);
    }
    const char *what = arena_printf(explainer->arena, "Index %sScan%s using %s",
        node->scan.index_only ? "Only " : "", node->scan.backward ? " Backward" : "",
        node->scan.index->name);
    return relation_title(explainer, what, &node->scan.relation);
}

/* What is merged here, and of which nodes. */
static const char *
remote_title(struct explainer *explainer, const struct plan_remote *remote)
{
    struct buffer nodes = {0};
    if (explainer->places != NULL) {
        buffer_add_text(&nodes, " of ");
        explainer->places->put(explainer->places->arg, remote, &nodes);
    }
    const char *title = arena_printf(explainer->arena, "Remote: %s%.*s", remote->merge,
        (int)nodes.size, nodes.size == 0 ? "" : (const char *)nodes.data);
    buffer_destroy(&nodes);
    return title;
}

/* Parameters as $1. */
static const char *
remote_text(struct explainer *explainer, const struct plan_remote *remote)
{
    struct buffer marked = {0}, text = {0};
    ship_text(remote, false, &marked);
    for (size_t i = 0; i < marked.size; i++) {
        if (marked.data[i] != REMOTE_PARAM) {
            buffer_add_u8(&text, marked.data[i]);
            continue;
        }
        uint32_t number = 0;
        for (i++; marked.data[i] != ':'; i++) {
            number = 10 * number + (uint32_t)(marked.data[i] - '0');
        }
        buffer_printf(&text, "$%u", number + 1);
        for (i++; marked.data[i] != REMOTE_PARAM; i++) {
        }
    }
    const char *copy = arena_strndup(explainer->arena, (const char *)text.data, text.size);
    buffer_destroy(&marked);
    buffer_destroy(&text);
    return copy;
}

static const char *
set_title(struct explainer *explainer, const struct plan_node *node)
{
    if (node->set.kind == SET_UNION && node->set.all) {
        return "Append";
    }
    return arena_printf(explainer->arena, "HashSetOp %s%s",
        node->set.kind == SET_UNION       ? "Union"
        : node->set.kind == SET_INTERSECT ? "Intersect"
                                          : "Except",
        node->set.all ? " All" : "");
}

static const char *
node_title(struct explainer *explainer, const struct plan_node *node)
{
    switch (node->kind) {
    case PLAN_RESULT:
        return "Result";
    case PLAN_VALUES:
        return "Values Scan on \"*VALUES*\"";
    case PLAN_SCAN:
    case PLAN_INDEX:
    case PLAN_VIRTUAL:
        return scan_title(explainer, node);
    case PLAN_REMOTE:
        return remote_title(explainer, node->remote);
    case PLAN_FUNCTION:
        return arena_printf(
            explainer->arena, "Function Scan on %s", node->function.calls[0].function->name);
    case PLAN_FILTER:
        return "Subquery Scan";
    case PLAN_PROJECT:
        return "Project";
    case PLAN_NEST_LOOP:
        return node->join.kind == JOIN_INNER ? "Nested Loop"
                                             : arena_printf(explainer->arena, "Nested Loop%s Join",
                                                   join_word(node->join.kind));
    case PLAN_HASH_JOIN:
        return arena_printf(explainer->arena, "Hash%s Join", join_word(node->join.kind));
    case PLAN_MERGE_JOIN:
        return arena_printf(explainer->arena, "Merge%s Join", join_word(node->join.kind));
    case PLAN_MATERIALIZE:
        return "Materialize";
    case PLAN_SORT:
        return "Sort";
    case PLAN_LIMIT:
        return "Limit";
    case PLAN_AGGREGATE:
        return node->aggregate.group_count == 0 ? "Aggregate"
               : node->aggregate.sorted         ? "GroupAggregate"
                                                : "HashAggregate";
    case PLAN_SHARED:
        return arena_printf(explainer->arena, "%s Scan on %s",
            node->shared.work ? "WorkTable" : "CTE", node->shared.shared->name);
    case PLAN_RECURSIVE:
        return "Recursive Union";
    case PLAN_WINDOW:
        return "WindowAgg";
    case PLAN_DISTINCT:
        return node->distinct.sorted ? "Unique" : "HashAggregate";
    case PLAN_SET:
        return set_title(explainer, node);
    case PLAN_LOCK:
        return "LockRows";
    case PLAN_INSERT:
        return arena_printf(explainer->arena, "Insert on %s", node->modify.relation->name);
    case PLAN_UPDATE:
        return relation_title(explainer, "Update", &node->modify.target);
    case PLAN_DELETE:
        return relation_title(explainer, "Delete", &node->modify.target);
    }
    return "?";
}

static void
conflict_details(struct explainer *explainer, const struct plan_node *node, uint32_t depth)
{
    if (node->modify.arbiters == NULL) {
        return;
    }
    indent(explainer, depth);
    buffer_printf(&explainer->text, "Conflict Resolution: %s",
        node->children[1] == NULL ? "NOTHING" : "UPDATE");
    end_line(explainer);
    const struct relation *relation = node->modify.relation;
    const char *before = "Conflict Arbiter Indexes: ";
    for (uint16_t i = 0; i < relation->index_count && !node->modify.any_conflict; i++) {
        if (node->modify.arbiters[i]) {
            if (before[0] == 'C') {
                indent(explainer, depth);
            }
            buffer_printf(&explainer->text, "%s%s", before, relation->indexes[i].name);
            before = ", ";
        }
    }
    if (before[0] != 'C') {
        end_line(explainer);
    }
    if (node->children[1] != NULL) {
        conditions(explainer, depth, "Conflict Filter", node->children[1]->filter,
            node->children[1]->filter_count);
    }
}

/* What stands under the title. */
static void
node_details(struct explainer *explainer, const struct plan_node *node, uint32_t depth)
{
    const char *filter = "Filter";
    switch (node->kind) {
    case PLAN_RESULT:
        filter = "One-Time Filter";
        break;
    case PLAN_INDEX:
        index_condition(explainer, depth, node);
        break;
    case PLAN_REMOTE:
        indent(explainer, depth);
        buffer_printf(&explainer->text, "SQL: %s", remote_text(explainer, node->remote));
        end_line(explainer);
        break;
    case PLAN_HASH_JOIN:
    case PLAN_MERGE_JOIN:
        hash_condition(explainer, depth, node);
        conditions(
            explainer, depth, "Join Filter", node->join.condition, node->join.condition_count);
        break;
    case PLAN_NEST_LOOP:
        conditions(
            explainer, depth, "Join Filter", node->join.condition, node->join.condition_count);
        break;
    case PLAN_SORT:
        keys(explainer, depth, "Sort Key", node->sort.keys, node->sort.key_count);
        break;
    case PLAN_DISTINCT:
        if (!node->distinct.sorted) {
            keys(explainer, depth, "Group Key", node->distinct.keys, node->distinct.key_count);
        }
        break;
    case PLAN_AGGREGATE:
        if (node->aggregate.group_count > 0) {
            indent(explainer, depth);
            buffer_add_text(&explainer->text, "Group Key: ");
            for (uint32_t i = 0; i < node->aggregate.group_count; i++) {
                buffer_add_text(&explainer->text, i > 0 ? ", " : "");
                deparse_expr(
                    &explainer->deparser, node->aggregate.groups[i].expr, &explainer->text);
            }
            end_line(explainer);
        }
        break;
    case PLAN_INSERT:
        conflict_details(explainer, node, depth);
        break;
    default:
        break;
    }
    conditions(explainer, depth, filter, node->filter, node->filter_count);
}

static void
put_costs(struct explainer *explainer, const struct plan_node *node, uint32_t counter)
{
    if (explainer->style.costs) {
        buffer_printf(&explainer->text, "  (cost=0.00..%.2f rows=%.0f width=%u)", node->cost / 100,
            node->rows, node->live_count * 8);
    }
    if (explainer->counters != NULL) {
        const struct plan_counter *counts = &explainer->counters[counter];
        if (counts->loops == 0) {
            buffer_add_text(&explainer->text, " (never executed)");
        } else {
            double loops = (double)counts->loops;
            buffer_add_text(&explainer->text, " (actual ");
            if (explainer->style.times) {
                buffer_printf(
                    &explainer->text, "time=0.000..%.3f ", (double)counts->time_us / 1000 / loops);
            }
            buffer_printf(&explainer->text, "rows=%.0f loops=%llu)", (double)counts->rows / loops,
                (unsigned long long)counts->loops);
        }
    }
}

static void explain_node(
    struct explainer *explainer, const struct plan_node *node, uint32_t depth, bool arrow);

/* The subqueries first named since `from`. Counters are kept for the main tree alone. */
static void
explain_subplans(struct explainer *explainer, uint32_t from, uint32_t depth)
{
    const struct plan_counter *counters = explainer->counters;
    uint32_t count = explainer->deparser.subplans.count;
    explainer->counters = NULL;
    for (uint32_t i = from; i < count; i++) {
        const struct expr *expr = explainer->deparser.subplans.items[i];
        bool once = expr->subplan->kind == SUBPLAN_SCALAR && !expr->subplan->correlated;
        indent(explainer, depth);
        if (once) {
            buffer_printf(&explainer->text, "InitPlan %u (returns $%u)", i + 1, i);
        } else {
            buffer_printf(&explainer->text, "SubPlan %u", i + 1);
        }
        end_line(explainer);
        name_node(explainer, expr->subplan->root);
        explain_node(explainer, expr->subplan->root, depth + 2, true);
    }
    explainer->counters = counters;
}

static void
note_expr(void *arg, struct expr *expr)
{
    struct explainer *explainer = arg;
    (void)expr_text(explainer, expr); /* numbers its subqueries */
}

static void
explain_node(struct explainer *explainer, const struct plan_node *node, uint32_t depth, bool arrow)
{
    uint32_t counter = explainer->next_counter++;
    uint32_t subplans =
        explainer->pending != NONE ? explainer->pending : explainer->deparser.subplans.count;
    explainer->pending = NONE;
    if (node->kind == PLAN_PROJECT) {
        /* Its subqueries are shown with the node below. */
        plan_node_exprs(node, note_expr, explainer);
        explainer->pending = subplans;
        explain_node(explainer, node->children[0], depth, arrow);
        return;
    }
    indent(explainer, depth);
    buffer_printf(&explainer->text, "%s%s", arrow ? "->  " : "", node_title(explainer, node));
    put_costs(explainer, node, counter);
    end_line(explainer);
    uint32_t inside = depth + (arrow ? 6 : 2);
    node_details(explainer, node, inside);
    plan_node_exprs(node, note_expr, explainer);
    explain_subplans(explainer, subplans, inside);
    if (node->children[0] != NULL) {
        explain_node(explainer, node->children[0], inside, true);
    }
    if (node->children[1] != NULL && node->kind == PLAN_HASH_JOIN) {
        indent(explainer, inside);
        buffer_add_text(&explainer->text, "->  Hash");
        put_costs(explainer, node->children[1], explainer->next_counter);
        end_line(explainer);
        explain_node(explainer, node->children[1], inside + 6, true);
    } else if (node->children[1] != NULL && node->kind == PLAN_INSERT) {
        explainer->next_counter++; /* DO UPDATE has been told of above */
    } else if (node->children[1] != NULL) {
        explain_node(explainer, node->children[1], inside, true);
    }
}

/* ---- FORMAT JSON ----------------------------------------------------------------------------- */

static void
json_relation(struct explainer *explainer, const struct plan_relation *relation)
{
    json_text(explainer, "Relation Name", relation->relation->name);
    json_text(
        explainer, "Alias", relation->alias != NULL ? relation->alias : relation->relation->name);
}

static void
json_join(struct explainer *explainer, const char *type, enum join_kind kind)
{
    json_text(explainer, "Node Type", type);
    const char *word = join_word(kind);
    json_text(explainer, "Join Type", word[0] == '\0' ? "Inner" : word + 1);
}

/* What the title of a line says. */
static void
json_title(struct explainer *explainer, const struct plan_node *node)
{
    switch (node->kind) {
    case PLAN_SCAN:
    case PLAN_VIRTUAL:
        json_text(explainer, "Node Type", node->kind == PLAN_SCAN ? "Seq Scan" : "Catalog Scan");
        json_relation(explainer, &node->scan.relation);
        return;
    case PLAN_REMOTE:
        json_text(explainer, "Node Type", remote_title(explainer, node->remote));
        json_text(explainer, "Remote SQL", remote_text(explainer, node->remote));
        return;
    case PLAN_INDEX:
        json_text(explainer, "Node Type", node->scan.index_only ? "Index Only Scan" : "Index Scan");
        json_text(explainer, "Scan Direction", node->scan.backward ? "Backward" : "Forward");
        json_text(explainer, "Index Name", node->scan.index->name);
        json_relation(explainer, &node->scan.relation);
        return;
    case PLAN_FUNCTION:
        json_text(explainer, "Node Type", "Function Scan");
        json_text(explainer, "Function Name", node->function.calls[0].function->name);
        return;
    case PLAN_NEST_LOOP:
        json_join(explainer, "Nested Loop", node->join.kind);
        return;
    case PLAN_HASH_JOIN:
        json_join(explainer, "Hash Join", node->join.kind);
        return;
    case PLAN_MERGE_JOIN:
        json_join(explainer, "Merge Join", node->join.kind);
        return;
    case PLAN_AGGREGATE:
        json_text(explainer, "Node Type", "Aggregate");
        json_text(explainer, "Strategy",
            node->aggregate.group_count == 0 ? "Plain"
            : node->aggregate.sorted         ? "Sorted"
                                             : "Hashed");
        return;
    case PLAN_DISTINCT:
        json_text(explainer, "Node Type", node->distinct.sorted ? "Unique" : "Aggregate");
        if (!node->distinct.sorted) {
            json_text(explainer, "Strategy", "Hashed");
        }
        return;
    case PLAN_SET:
        json_text(explainer, "Node Type",
            node->set.kind == SET_UNION && node->set.all ? "Append" : "SetOp");
        if (node->set.kind != SET_UNION || !node->set.all) {
            json_text(explainer, "Command", set_title(explainer, node) + strlen("HashSetOp "));
        }
        return;
    case PLAN_SHARED:
        json_text(explainer, "Node Type", node->shared.work ? "WorkTable Scan" : "CTE Scan");
        json_text(explainer, "CTE Name", node->shared.shared->name);
        return;
    case PLAN_INSERT:
    case PLAN_UPDATE:
    case PLAN_DELETE:
        json_text(explainer, "Node Type", "ModifyTable");
        json_text(explainer, "Operation",
            node->kind == PLAN_INSERT   ? "Insert"
            : node->kind == PLAN_UPDATE ? "Update"
                                        : "Delete");
        json_text(explainer, "Relation Name", node->modify.relation->name);
        return;
    case PLAN_VALUES:
        json_text(explainer, "Node Type", "Values Scan");
        json_text(explainer, "Alias", "*VALUES*");
        return;
    default:
        json_text(explainer, "Node Type", node_title(explainer, node));
        return;
    }
}

static void
json_number(struct explainer *explainer, const char *key, double value, int digits)
{
    json_key(explainer, key);
    buffer_printf(explainer->json, "%.*f", digits, value);
}

static void
json_costs(struct explainer *explainer, const struct plan_node *node, uint32_t counter)
{
    if (explainer->style.costs) {
        json_number(explainer, "Startup Cost", 0, 2);
        json_number(explainer, "Total Cost", node->cost / 100, 2);
        json_number(explainer, "Plan Rows", node->rows, 0);
        json_number(explainer, "Plan Width", (double)node->live_count * 8, 0);
    }
    if (explainer->counters != NULL) {
        const struct plan_counter *counts = &explainer->counters[counter];
        double loops = counts->loops == 0 ? 1 : (double)counts->loops;
        if (explainer->style.times) {
            json_number(explainer, "Actual Startup Time", 0, 3);
            json_number(explainer, "Actual Total Time", (double)counts->time_us / 1000 / loops, 3);
        }
        json_number(explainer, "Actual Rows", (double)counts->rows / loops, 0);
        json_number(explainer, "Actual Loops", (double)counts->loops, 0);
    }
}

/* As explain_node, one object. */
static void
json_node(struct explainer *explainer, const struct plan_node *node, const char *relationship,
    const char *subplan)
{
    while (node->kind == PLAN_PROJECT) { /* its subqueries are shown with the node below */
        if (explainer->pending == NONE) {
            explainer->pending = explainer->deparser.subplans.count;
        }
        explainer->next_counter++;
        plan_node_exprs(node, note_expr, explainer);
        node = node->children[0];
    }
    uint32_t counter = explainer->next_counter++;
    uint32_t subplans =
        explainer->pending != NONE ? explainer->pending : explainer->deparser.subplans.count;
    explainer->pending = NONE;
    json_open(explainer, "{");
    json_title(explainer, node);
    if (relationship != NULL) {
        json_text(explainer, "Parent Relationship", relationship);
    }
    if (subplan != NULL) {
        json_text(explainer, "Subplan Name", subplan);
    }
    json_key(explainer, "Parallel Aware");
    buffer_add_text(explainer->json, "false");
    json_key(explainer, "Async Capable");
    buffer_add_text(explainer->json, "false");
    json_costs(explainer, node, counter);
    node_details(explainer, node, 0);
    plan_node_exprs(node, note_expr, explainer);
    uint32_t count = explainer->deparser.subplans.count;
    bool inner = node->children[1] != NULL && node->kind != PLAN_INSERT;
    if (subplans == count && node->children[0] == NULL && !inner) {
        json_close(explainer, "}");
        return;
    }
    json_key(explainer, "Plans");
    json_open(explainer, "[");
    const struct plan_counter *counters = explainer->counters;
    explainer->counters = NULL;
    for (uint32_t i = subplans; i < count; i++) {
        const struct expr *expr = explainer->deparser.subplans.items[i];
        bool once = expr->subplan->kind == SUBPLAN_SCALAR && !expr->subplan->correlated;
        json_break(explainer);
        name_node(explainer, expr->subplan->root);
        json_node(explainer, expr->subplan->root, once ? "InitPlan" : "SubPlan",
            once ? arena_printf(explainer->arena, "InitPlan %u (returns $%u)", i + 1, i)
                 : arena_printf(explainer->arena, "SubPlan %u", i + 1));
    }
    explainer->counters = counters;
    if (node->children[0] != NULL) {
        json_break(explainer);
        json_node(explainer, node->children[0], "Outer", NULL);
    }
    if (inner) {
        json_break(explainer);
        json_node(explainer, node->children[1], "Inner", NULL);
    } else if (node->children[1] != NULL) {
        explainer->next_counter++;
    }
    json_close(explainer, "]");
    json_close(explainer, "}");
}

static void
explain_json(struct explainer *e, const struct plan_node *root)
{
    json_open(e, "[");
    json_break(e);
    json_open(e, "{");
    json_key(e, "Plan");
    json_node(e, root, NULL, NULL);
    if (e->style.summary && e->style.planning_us >= 0) {
        json_number(e, "Planning Time", (double)e->style.planning_us / 1000, 3);
    }
    if (e->style.summary && e->style.execution_us >= 0) {
        json_number(e, "Execution Time", (double)e->style.execution_us / 1000, 3);
    }
    json_close(e, "}");
    json_close(e, "]");
}

static void
time_line(struct explainer *explainer, const char *what, int64_t time_us)
{
    if (explainer->style.summary && time_us >= 0) {
        explainer->text.size = 0;
        buffer_printf(&explainer->text, "%s Time: %.3f ms", what, (double)time_us / 1000);
        end_line(explainer);
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* `like` says how it is shown and to whom. */
static void
explain(const struct plan *plan, const struct explainer *like)
{
    struct arena arena;
    arena_create(&arena, "explain");
    struct explainer explainer = *like;
    explainer.deparser.arena = &arena;
    explainer.arena = &arena;
    explainer.qualified = count_relations(plan->root) > 1;
    explainer.pending = NONE;
    name_node(&explainer, plan->root);
    explainer.deparser.subplans.count = 0; /* numbered as they are shown */
    if (explainer.json != NULL) {
        explain_json(&explainer, plan->root);
    } else {
        explain_node(&explainer, plan->root, 0, false);
        time_line(&explainer, "Planning", explainer.style.planning_us);
        time_line(&explainer, "Execution", explainer.style.execution_us);
    }
    buffer_destroy(&explainer.text);
    arena_destroy(&arena);
}

void
plan_explain_json(const struct plan *plan, const struct eval_env *env,
    struct plan_explain_style style, const struct plan_counter *counters,
    const struct plan_places *places, struct buffer *to)
{
    explain(plan, &(struct explainer){.deparser = {.env = env},
                      .style = style,
                      .counters = counters,
                      .places = places,
                      .json = to});
}

void
plan_explain(const struct plan *plan, const struct eval_env *env, struct plan_explain_style style,
    const struct plan_counter *counters, const struct plan_places *places,
    void (*line)(void *arg, const char *text), void *arg)
{
    explain(plan, &(struct explainer){.deparser = {.env = env},
                      .style = style,
                      .counters = counters,
                      .places = places,
                      .line = line,
                      .arg = arg});
}
