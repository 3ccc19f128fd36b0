/*
 * sql/plan/ship.c - queries for others to run: rows of tables that are elsewhere (plan_context.
 * remote) come by PLAN_REMOTE, whose text is made here.
 *
 * What is asked of several nodes is the same query, and what comes is the nodes' rows one after the
 * other; so a query may be asked only if the union of its results over the nodes is what is wanted:
 *
 *   SH1. Rows that meet in it are on one node: each join of sharded tables has an equality of their
 *        shard columns (of one group), an outer join in its own ON; a replicated table is never the
 *        side of an outer join whose rows come without a match, unless it is alone.
 *   SH2. A subquery that looks at sharded tables is tied so to the query around it.
 *   SH3. Groups are whole where a shard column that is never null for want of a match is among
 * their expressions. Else nodes give partial aggregates, which are put together here. SH4.
 * DISTINCT, ORDER BY and LIMIT are asked for where all below them was, and are done again here over
 * what comes: each node's first rows have the first rows of all among them. SH5. Only what is
 * immutable is asked for, in a form that means the same under any settings. Each text is bound here
 * once: what the words do not say exactly is not asked for. SH6. What only rows that come out are
 * computed from is not asked for (it might fail on others).
 *
 *   SH7. Rows that each node gives in ORDER BY's order need no sort here, only a merge: values
 *        compare here as there. So not where rows are still dropped or grouped above (DISTINCT).
 *
 * What may not be asked for as a whole is read table by table (ship_table).
 */
#include "base/assert.h"
#include "parser/parser.h"
#include "sql/catalog/sharding.h"
#include "sql/plan/planner.h"

enum {
    SOURCES_MAX = 64,
    NESTING_MAX = 200,
    ROWS_GUESS = 1000,
};

/* A register, as the text says it. */
struct name {
    reg_t reg;
    oid_t type; /* 0: whatever is asked for */
    const char *text;
};

/* A shard column of a table, or of a subquery in FROM. */
struct key {
    reg_t reg;
    uint32_t source;
    bool nullable; /* of an outer join's side: null if there is no match */
};

struct shipper {
    struct planner *planner;
    struct arena *arena;
    struct name *names;
    uint32_t name_count, name_capacity;
    struct key *keys;
    uint32_t key_count, key_capacity;
    uint32_t parents[SOURCES_MAX]; /* of sharded tables: those that are tied have one root */
    uint32_t source_count;
    const struct relation *sharded;
    bool home, replicated;
    uint32_t aliases, depth;
};

static bool put(struct shipper *shipper, const struct expr *expr, struct buffer *to);
static bool put_query(
    struct shipper *shipper, const struct query *query, bool inner, struct buffer *to);

/* ---- names -------------------------------------------------------------------------------------
 */

static void
name_add(struct shipper *shipper, reg_t reg, oid_t type, const char *text)
{
    if (shipper->name_count == shipper->name_capacity) {
        uint32_t wanted = shipper->name_capacity == 0 ? 64 : 2 * shipper->name_capacity;
        struct name *more = arena_array(shipper->arena, wanted, sizeof *more);
        if (shipper->name_count > 0) {
            memcpy(more, shipper->names, shipper->name_count * sizeof *more);
        }
        shipper->names = more;
        shipper->name_capacity = wanted;
    }
    shipper->names[shipper->name_count++] = (struct name){.reg = reg, .type = type, .text = text};
}

static const struct name *
name_find(const struct shipper *shipper, reg_t reg)
{
    for (uint32_t i = shipper->name_count; i > 0; i--) {
        if (shipper->names[i - 1].reg == reg) {
            return &shipper->names[i - 1];
        }
    }
    return NULL;
}

static const char *
text_of(struct shipper *shipper, const struct buffer *text)
{
    return arena_strndup(shipper->arena, (const char *)text->data, text->size);
}

static bool
is_any(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- which tables are together (SH1) -----------------------------------------------------------
 */

static uint32_t
root_of(const struct shipper *shipper, uint32_t source)
{
    while (shipper->parents[source] != source) {
        source = shipper->parents[source];
    }
    return source;
}

static void
key_add(struct shipper *shipper, reg_t reg, uint32_t source, bool nullable)
{
    if (shipper->key_count == shipper->key_capacity) {
        uint32_t wanted = shipper->key_capacity == 0 ? 16 : 2 * shipper->key_capacity;
        struct key *more = arena_array(shipper->arena, wanted, sizeof *more);
        if (shipper->key_count > 0) {
            memcpy(more, shipper->keys, shipper->key_count * sizeof *more);
        }
        shipper->keys = more;
        shipper->key_capacity = wanted;
    }
    shipper->keys[shipper->key_count++] =
        (struct key){.reg = reg, .source = source, .nullable = nullable};
}

static const struct key *
key_find(const struct shipper *shipper, reg_t reg)
{
    for (uint32_t i = 0; i < shipper->key_count; i++) {
        if (shipper->keys[i].reg == reg) {
            return &shipper->keys[i];
        }
    }
    return NULL;
}

static const struct key *
key_of(const struct shipper *shipper, const struct expr *expr)
{
    expr = expr_strip_integers(expr);
    return expr->kind == EXPR_REGISTER ? key_find(shipper, expr->reg) : NULL;
}

static void
tie(struct shipper *shipper, const struct key *a, const struct key *b)
{
    if (a != NULL && b != NULL) {
        shipper->parents[root_of(shipper, a->source)] = root_of(shipper, b->source);
    }
}

/* Of a condition that must be true: which shard columns are equal. */
static void
tie_by(struct shipper *shipper, const struct expr *expr)
{
    if (expr->kind == EXPR_AND) {
        for (uint32_t i = 0; i < expr->count; i++) {
            tie_by(shipper, expr->list[i]);
        }
        return;
    }
    const struct operator_def *op = expr->kind == EXPR_CALL ? expr_operator(expr) : NULL;
    if (op != NULL && expr->count == 2 && strcmp(op->name, "=") == 0) {
        tie(shipper, key_of(shipper, expr->list[0]), key_of(shipper, expr->list[1]));
    }
}

/* What ties a part [first, end) to the rest does not tie the rest: `before` is as it was. */
static void
tie_part_only(struct shipper *shipper, const uint32_t *before, uint32_t first, uint32_t end)
{
    uint32_t to = SOURCES_MAX;
    for (uint32_t i = 0; i < first; i++) {
        if (first < end && root_of(shipper, i) == root_of(shipper, first)) {
            to = i;
        }
    }
    memcpy(shipper->parents, before, first * sizeof *before);
    for (uint32_t i = first; i < end; i++) {
        shipper->parents[i] = to < SOURCES_MAX ? to : first;
    }
}

static bool
is_one(const struct shipper *shipper, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        if (root_of(shipper, i) != root_of(shipper, first)) {
            return false;
        }
    }
    return true;
}

/* ---- expressions -------------------------------------------------------------------------------
 */

static bool
put_type(struct shipper *shipper, oid_t type, int32_t typmod, struct buffer *to)
{
    oid_t element = type_element(type);
    if (type >= OID_FIRST_USER || element >= OID_FIRST_USER || type == TYPE_UNKNOWN || type == 0) {
        return false; /* its name would have to be found there */
    }
    buffer_add_text(to, type_format(shipper->planner->context->env, shipper->arena, type, typmod));
    return true;
}

/* Types whose text form comes back as the same value whatever is set. */
static bool
is_plain(oid_t type)
{
    switch (type) {
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_NUMERIC:
    case TYPE_FLOAT8:
    case TYPE_FLOAT4:
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_BYTEA:
    case TYPE_UUID:
    case TYPE_INET:
    case TYPE_CIDR:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIME:
    case TYPE_INTERVAL:
        return true;
    default:
        return type_element(type) != 0 && is_plain(type_element(type));
    }
}

bool
ship_literal(const struct eval_env *own, oid_t type, struct datum value, struct buffer *to)
{
    struct eval_env env = {
        .time_zone = "UTC", .extra_float_digits = 1, .catalog = own == NULL ? NULL : own->catalog};
    if (value.null) {
        buffer_add_text(to, "NULL");
        return true;
    }
    struct buffer text = {0};
    type_output(&env, type, value, &text);
    bool fine = text.size == 0 || memchr(text.data, REMOTE_PARAM, text.size) == NULL;
    bool escape = text.size > 0 && memchr(text.data, '\\', text.size) != NULL;
    buffer_add_text(to, escape ? "E'" : "'");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\') {
            buffer_add_u8(to, text.data[i]);
        }
        buffer_add_u8(to, text.data[i]);
    }
    buffer_add_u8(to, '\'');
    buffer_destroy(&text);
    return fine;
}

static bool
put_const(struct shipper *shipper, const struct expr *expr, struct buffer *to)
{
    if (!is_plain(expr->type)) {
        return false;
    }
    buffer_add_text(to, "CAST(");
    bool fine = ship_literal(shipper->planner->context->env, expr->type, expr->constant, to);
    buffer_add_text(to, " AS ");
    fine = fine && put_type(shipper, expr->type, -1, to);
    buffer_add_u8(to, ')');
    return fine;
}

static bool
put_list(struct shipper *shipper, const char *before, struct expr *const *list, uint32_t count,
    const char *between, const char *after, struct buffer *to)
{
    bool fine = true;
    buffer_add_text(to, before);
    for (uint32_t i = 0; i < count && fine; i++) {
        buffer_add_text(to, i == 0 ? "" : between);
        fine = put(shipper, list[i], to);
    }
    buffer_add_text(to, after);
    return fine;
}

static bool
put_cast(
    struct shipper *shipper, const struct expr *of, oid_t type, int32_t typmod, struct buffer *to)
{
    buffer_add_text(to, "CAST(");
    bool fine = put(shipper, of, to);
    buffer_add_text(to, " AS ");
    fine = fine && put_type(shipper, type, typmod, to);
    buffer_add_u8(to, ')');
    return fine;
}

/* Names that mean the function with this OID, called plainly. */
static bool
put_function_name(const struct function *function, struct buffer *to)
{
    if ((function->flags & (FUNCTION_INTERNAL | FUNCTION_SET | FUNCTION_ORDERED | FUNCTION_WINDOW |
                               FUNCTION_STABLE | FUNCTION_VOLATILE)) != 0) {
        return false;
    }
    buffer_printf(to, "pg_catalog.\"%s\"(", function->name);
    return true;
}

static const struct operator_def *
operator_of(const struct function *function)
{
    size_t count;
    const struct operator_def *all = operator_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].function->oid == function->oid && all[i].left != 0) {
            return &all[i];
        }
    }
    return NULL;
}

static bool
put_array_any(struct shipper *shipper, const struct expr *expr, struct buffer *to)
{
    const struct operator_def *op =
        operator_of((const struct function *)(intptr_t)expr->list[0]->constant.i);
    if (op == NULL) {
        return false;
    }
    buffer_add_u8(to, '(');
    bool fine = put(shipper, expr->list[1], to);
    buffer_printf(to, " OPERATOR(pg_catalog.%s) %s (", op->name,
        strcmp(expr->function->name, "array_any") == 0 ? "ANY" : "ALL");
    fine = fine && put(shipper, expr->list[2], to);
    buffer_add_text(to, "))");
    return fine;
}

static bool
put_call(struct shipper *shipper, const struct expr *expr, struct buffer *to)
{
    const struct operator_def *op = expr_operator(expr);
    const struct function *function = expr->function;
    if ((function->flags & (FUNCTION_STABLE | FUNCTION_VOLATILE)) != 0) {
        return false; /* SH5 */
    }
    if (op != NULL && expr->count == 2) {
        buffer_add_u8(to, '(');
        bool fine = put(shipper, expr->list[0], to);
        buffer_printf(to, " OPERATOR(pg_catalog.%s) ", op->name);
        fine = fine && put(shipper, expr->list[1], to);
        buffer_add_u8(to, ')');
        return fine;
    }
    if (op != NULL && expr->count == 1) {
        const char *before = strcmp(op->name, "-") == 0 ? "(- " : NULL;
        return before != NULL && put_list(shipper, before, expr->list, 1, "", ")", to);
    }
    if (strcmp(function->name, "array_any") == 0 || strcmp(function->name, "array_all") == 0) {
        return put_array_any(shipper, expr, to);
    }
    if (((const struct call_expr *)(const void *)expr)->cast) {
        return expr->count == 1 && is_plain(expr->type) && is_plain(expr->list[0]->type) &&
               put_cast(shipper, expr->list[0], expr->type, -1, to);
    }
    return put_function_name(function, to) &&
           put_list(shipper, "", expr->list, expr->count, ", ", ")", to);
}

static bool
put_case(struct shipper *shipper, const struct expr *expr, struct buffer *to)
{
    bool fine = true;
    uint32_t i = 0;
    buffer_add_text(to, "(CASE");
    for (; i + 1 < expr->count && fine; i += 2) {
        fine = put_list(shipper, " WHEN ", expr->list + i, 2, " THEN ", "", to);
    }
    if (i < expr->count && fine) {
        fine = put_list(shipper, " ELSE ", expr->list + i, 1, "", "", to);
    }
    buffer_add_text(to, " END)");
    return fine;
}

/* SH2 */
static bool
put_subplan(struct shipper *shipper, const struct expr *expr, struct buffer *to)
{
    const struct bound_subplan *subplan = (const struct bound_subplan *)(const void *)expr->subplan;
    const struct query *query = subplan->query;
    bool fine = true;
    uint32_t first = shipper->source_count, before[SOURCES_MAX];
    memcpy(before, shipper->parents, sizeof before);
    struct buffer text = {0};
    bool any = subplan->subplan.kind == SUBPLAN_ANY && subplan->op != NULL &&
               strcmp(subplan->op->name, "=") == 0;
    switch (subplan->subplan.kind) {
    case SUBPLAN_EXISTS:
        buffer_add_text(to, "EXISTS (");
        break;
    case SUBPLAN_SCALAR:
        buffer_add_u8(to, '(');
        break;
    case SUBPLAN_ANY:
    case SUBPLAN_ALL:
        fine = any && query->column_count == 1 && put_list(shipper, "(", expr->list, 1, "", "", to);
        buffer_add_text(to, " OPERATOR(pg_catalog.=) ANY (");
        break;
    }
    fine = fine && put_query(shipper, query, true, &text);
    if (fine && any && query->group_count == 0 && !query->has_aggregates && query->limit == NULL &&
        query->offset == NULL && !query->distinct) {
        const struct expr *column = query->targets[subplan->column].expr;
        const struct rel *rel =
            column->kind == EXPR_REGISTER ? query_rel(query, column->reg) : NULL;
        const struct key *key = key_of(shipper, column);
        /* A null of another node would make what is not found here unknown. */
        if (key != NULL && rel != NULL && rel->relation != NULL &&
            rel->relation->columns[column->reg - rel->base].not_null) {
            tie(shipper, key, key_of(shipper, expr->list[0]));
        }
    }
    buffer_add(to, text.data, text.size);
    buffer_destroy(&text);
    buffer_add_text(to, any ? "))" : ")");
    if (first < shipper->source_count) { /* tied to something outside of itself */
        fine = fine && first > 0 && is_one(shipper, first, shipper->source_count);
        bool tied = false;
        for (uint32_t i = 0; i < first && fine; i++) {
            tied |= root_of(shipper, i) == root_of(shipper, first);
        }
        fine = fine && tied;
        tie_part_only(shipper, before, first, shipper->source_count);
    }
    return fine;
}

static bool
put_register(struct shipper *shipper, const struct expr *expr, struct buffer *to)
{
    const struct name *name = name_find(shipper, expr->reg);
    if (name == NULL) {
        return false;
    }
    if (name->type == 0 || name->type == expr->type) {
        buffer_add_text(to, name->text);
        return true;
    }
    buffer_printf(to, "CAST(%s AS ", name->text);
    bool fine = put_type(shipper, expr->type, -1, to);
    buffer_add_u8(to, ')');
    return fine;
}

static bool
put_kind(struct shipper *shipper, const struct expr *expr, struct buffer *to)
{
    struct expr *const *list = expr->list;
    switch (expr->kind) {
    case EXPR_CONST:
        return put_const(shipper, expr, to);
    case EXPR_PARAM:
        if (!is_plain(expr->type)) {
            return false;
        }
        buffer_printf(to, "CAST(%c%u:%u%c AS ", REMOTE_PARAM, expr->param, (unsigned)expr->type,
            REMOTE_PARAM);
        if (!put_type(shipper, expr->type, -1, to)) {
            return false;
        }
        buffer_add_u8(to, ')');
        return true;
    case EXPR_REGISTER:
        return put_register(shipper, expr, to);
    case EXPR_CALL:
        return put_call(shipper, expr, to);
    case EXPR_AND:
        return put_list(shipper, "(", list, expr->count, " AND ", ")", to);
    case EXPR_OR:
        return put_list(shipper, "(", list, expr->count, " OR ", ")", to);
    case EXPR_NOT:
        return put_list(shipper, "(NOT ", list, 1, "", ")", to);
    case EXPR_IS_NULL:
        return list[0]->type < OID_FIRST_USER &&
               put_list(shipper, "(", list, 1, "", " IS NULL)", to);
    case EXPR_IS_NOT_NULL:
        return list[0]->type < OID_FIRST_USER &&
               put_list(shipper, "(", list, 1, "", " IS NOT NULL)", to);
    case EXPR_IS_TRUE:
        return put_list(shipper, "(", list, 1, "", " IS TRUE)", to);
    case EXPR_IS_FALSE:
        return put_list(shipper, "(", list, 1, "", " IS FALSE)", to);
    case EXPR_CASE:
        return put_case(shipper, expr, to);
    case EXPR_COALESCE:
        return expr->count == 1 ? put_cast(shipper, list[0], expr->type, -1, to)
                                : put_list(shipper, "COALESCE(", list, expr->count, ", ", ")", to);
    case EXPR_NULLIF:
        return put_list(shipper, "NULLIF(", list, 2, ", ", ")", to);
    case EXPR_GREATEST:
        return put_list(shipper, "GREATEST(", list, expr->count, ", ", ")", to);
    case EXPR_LEAST:
        return put_list(shipper, "LEAST(", list, expr->count, ", ", ")", to);
    case EXPR_DISTINCT_FROM:
        return put_list(shipper, "(", list, 2, " IS DISTINCT FROM ", ")", to);
    case EXPR_IN:
        return put_list(shipper, "(", list, 1, "", " IN (", to) &&
               put_list(shipper, "", list + 1, expr->count - 1, ", ", "))", to);
    case EXPR_TYPMOD:
        return expr->explicit_cast && is_plain(expr->type) &&
               put_cast(shipper, list[0], expr->type, expr->typmod, to);
    case EXPR_TEXT_IO:
        return false; /* by settings */
    case EXPR_SUBPLAN:
        return put_subplan(shipper, expr, to);
    }
    return false;
}

static bool
put(struct shipper *shipper, const struct expr *expr, struct buffer *to)
{
    bool fine = ++shipper->depth <= NESTING_MAX &&
                bind_check_stack(shipper->planner->binder) == ERR_OK && put_kind(shipper, expr, to);
    shipper->depth--;
    return fine;
}

/* ---- FROM --------------------------------------------------------------------------------------
 */

static void
put_name(struct buffer *to, const char *name)
{
    buffer_add_u8(to, '"');
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '"') {
            buffer_add_u8(to, '"');
        }
        buffer_add_u8(to, (uint8_t)*at);
    }
    buffer_add_u8(to, '"');
}

static bool
is_table(const struct rel *rel)
{
    return rel->kind == REL_VIRTUAL && rel->relation->kind == RELATION_TABLE;
}

static bool
put_table(struct shipper *shipper, const struct rel *rel, bool nullable, struct buffer *to)
{
    const struct relation *relation = rel->relation;
    const struct sharding *sharding = relation->sharding;
    uint32_t alias = ++shipper->aliases;
    if (rel->identity) {
        return false;
    }
    put_name(to, relation->schema_name);
    buffer_add_u8(to, '.');
    put_name(to, relation->name);
    buffer_printf(to, " AS t%u", alias);
    for (uint32_t c = 0; c < relation->column_count; c++) {
        const struct column *column = &relation->columns[c];
        if (!column->dropped) {
            struct buffer text = {0};
            buffer_printf(&text, "t%u.", alias);
            put_name(&text, column->name);
            name_add(shipper, rel->base + c, column->type, text_of(shipper, &text));
            buffer_destroy(&text);
        }
    }
    if (sharding == NULL) {
        shipper->home = true;
    } else if (sharding->scheme.kind == SHARD_REPLICATED) {
        shipper->replicated = true;
    } else {
        if (shipper->source_count == SOURCES_MAX ||
            (shipper->sharded != NULL &&
                strcmp(shipper->sharded->sharding->group, sharding->group) != 0)) {
            return false;
        }
        shipper->sharded = relation;
        uint32_t source = shipper->source_count++;
        shipper->parents[source] = source;
        key_add(shipper, rel->base + sharding->column, source, nullable);
    }
    return true;
}

/* A subquery in FROM. Its sharded rows are known above by a shard column that it gives. */
static bool
put_derived(struct shipper *shipper, const struct rel *rel, bool nullable, struct buffer *to)
{
    const struct query *query = rel->query;
    uint32_t first = shipper->source_count, key_first = shipper->key_count;
    uint32_t alias = ++shipper->aliases;
    if (query->correlated || query->kind != QUERY_SELECT || query->limit != NULL ||
        query->offset != NULL || query->distinct || query->distinct_on_count > 0) {
        return false;
    }
    buffer_add_u8(to, '(');
    if (!put_query(shipper, query, false, to)) {
        return false;
    }
    buffer_printf(to, ") AS t%u (", alias);
    bool keyed = first == shipper->source_count;
    uint32_t key_end = shipper->key_count;
    for (uint32_t i = 0; i < query->column_count; i++) {
        const struct target *target = &query->targets[i];
        buffer_printf(to, "%sc%u", i == 0 ? "" : ", ", i);
        name_add(shipper, target->reg, target->expr->type,
            arena_printf(shipper->arena, "t%u.c%u", alias, i));
        for (uint32_t k = key_first; k < key_end; k++) {
            const struct key key = shipper->keys[k];
            if (target->plain && key.reg == target->reg) {
                shipper->keys[k].nullable |= nullable;
                keyed = true;
            }
        }
    }
    buffer_add_u8(to, ')');
    return keyed && query->column_count > 0 && is_one(shipper, first, shipper->source_count);
}

static bool
put_rel(struct shipper *shipper, const struct rel *rel, bool nullable, struct buffer *to)
{
    if (is_table(rel)) {
        return put_table(shipper, rel, nullable, to);
    }
    return rel->kind == REL_QUERY && put_derived(shipper, rel, nullable, to);
}

static bool
put_conditions(
    struct shipper *shipper, const char *before, const struct expr_vec *conds, struct buffer *to)
{
    bool fine = true;
    for (uint32_t i = 0; i < conds->count; i++) {
        tie_by(shipper, conds->items[i]);
    }
    for (uint32_t i = 0; i < conds->count && fine; i++) {
        buffer_add_text(to, i == 0 ? before : " AND ");
        fine = put(shipper, conds->items[i], to);
    }
    return fine;
}

static bool put_tree(
    struct shipper *shipper, const struct join_tree *tree, bool nullable, struct buffer *to);

static bool
put_items(struct shipper *shipper, const struct join_tree *tree, bool nullable, struct buffer *to)
{
    for (uint32_t i = 0; i < tree->items.count; i++) {
        buffer_add_text(to, i == 0 ? "" : " CROSS JOIN ");
        if (!put_tree(shipper, tree->items.items[i], nullable, to)) {
            return false;
        }
    }
    return tree->items.count > 0;
}

static bool
put_join(struct shipper *shipper, const struct join_tree *tree, bool nullable, struct buffer *to)
{
    bool full = tree->join == JOIN_FULL;
    uint32_t first = shipper->source_count;
    if (tree->join == JOIN_SEMI || tree->join == JOIN_ANTI) {
        return false;
    }
    buffer_add_u8(to, '(');
    if (!put_tree(shipper, tree->left, nullable || full, to)) {
        return false;
    }
    uint32_t middle = shipper->source_count;
    buffer_add_text(to, full ? " FULL JOIN " : tree->join == JOIN_LEFT ? " LEFT JOIN " : " JOIN ");
    if (!put_tree(shipper, tree->right, nullable || tree->join != JOIN_INNER, to)) {
        return false;
    }
    uint32_t end = shipper->source_count, before[SOURCES_MAX];
    bool right_one = is_one(shipper, middle, end), left_one = is_one(shipper, first, middle);
    memcpy(before, shipper->parents, sizeof before);
    if (!put_conditions(shipper, " ON ", &tree->conds, to)) {
        return false;
    }
    buffer_add_text(to, tree->conds.count == 0 ? " ON true)" : ")");
    if (tree->join == JOIN_INNER) {
        return true;
    }
    /* SH1 */
    bool linked = false;
    for (uint32_t l = first; l < middle && middle < end; l++) {
        linked |= root_of(shipper, l) == root_of(shipper, middle);
    }
    if (first == end) {
        return true; /* no sharded table: is_together */
    }
    if (!full && middle == end) {
        return true; /* the same on every node, for rows of one */
    }
    tie_part_only(shipper, before, middle, shipper->source_count);
    return right_one && linked && (!full || left_one);
}

static bool
put_tree(struct shipper *shipper, const struct join_tree *tree, bool nullable, struct buffer *to)
{
    switch (tree->kind) {
    case TREE_REL:
        return put_rel(shipper, tree->rel, nullable, to);
    case TREE_JOIN:
        return put_join(shipper, tree, nullable, to);
    case TREE_LIST:
        break;
    }
    if (tree->items.count == 1 && tree->conds.count == 0) {
        return put_tree(shipper, tree->items.items[0], nullable, to);
    }
    buffer_add_u8(to, '(');
    bool fine = put_items(shipper, tree, nullable, to);
    if (fine && tree->conds.count > 0) {
        buffer_printf(to, " JOIN (VALUES (1)) AS t%u ON ", ++shipper->aliases);
        fine = put_conditions(shipper, "", &tree->conds, to);
    }
    buffer_add_u8(to, ')');
    return fine;
}

/* FROM and WHERE. */
static bool
put_from(struct shipper *shipper, const struct query *query, struct buffer *to)
{
    if (query->from == NULL || query->from->kind != TREE_LIST || query->from->items.count == 0) {
        return false;
    }
    buffer_add_text(to, " FROM ");
    return put_items(shipper, query->from, false, to) &&
           put_conditions(shipper, " WHERE ", &query->from->conds, to);
}

/* ---- aggregates --------------------------------------------------------------------------------
 */

static bool
put_aggregate(struct shipper *shipper, const struct plan_aggregate *aggregate, const char *name,
    const struct expr *cast_of, oid_t cast, struct buffer *to)
{
    bool fine = true;
    if ((aggregate->function->flags &
            (FUNCTION_INTERNAL | FUNCTION_ORDERED | FUNCTION_STABLE | FUNCTION_VOLATILE)) != 0) {
        return false;
    }
    buffer_printf(to, "pg_catalog.\"%s\"(%s", name, aggregate->distinct ? "DISTINCT " : "");
    if (cast_of != NULL) {
        fine = put_cast(shipper, cast_of, cast, -1, to);
    } else if (aggregate->arg_count == 0) {
        buffer_add_u8(to, '*');
    } else {
        fine = put_list(shipper, "", aggregate->args, aggregate->arg_count, ", ", "", to);
    }
    for (uint32_t i = 0; i < aggregate->order_count && fine; i++) {
        const struct plan_sort_key *key = &aggregate->order[i];
        buffer_add_text(to, i == 0 ? " ORDER BY " : ", ");
        fine = put(shipper, aggregate->order_targets[i].expr, to);
        buffer_printf(to, "%s%s", key->descending ? " DESC" : "",
            key->nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
    buffer_add_u8(to, ')');
    if (fine && aggregate->filter != NULL) {
        buffer_add_text(to, " FILTER (WHERE ");
        fine = put(shipper, aggregate->filter, to);
        buffer_add_u8(to, ')');
    }
    return fine;
}

/* " GROUP BY ..", and the groups' names from here on. */
static bool
put_groups(struct shipper *shipper, const struct query *query, struct buffer *to)
{
    bool fine = query->sets == NULL && query->groupings.count == 0;
    for (uint32_t i = 0; i < query->group_count && fine; i++) {
        struct buffer text = {0};
        const struct group_item *group = &query->groups[i];
        fine = put(shipper, group->expr, &text);
        buffer_add_text(to, i == 0 ? " GROUP BY " : ", ");
        buffer_add(to, text.data, text.size);
        name_add(shipper, group->reg, group->expr->type, text_of(shipper, &text));
        buffer_destroy(&text);
    }
    return fine;
}

static bool
name_aggregates(struct shipper *shipper, const struct query *query)
{
    bool fine = true;
    for (uint32_t i = 0; i < query->aggregates.count && fine; i++) {
        struct buffer text = {0};
        const struct plan_aggregate *aggregate = query->aggregates.items[i];
        fine = put_aggregate(shipper, aggregate, aggregate->function->name, NULL, 0, &text);
        name_add(shipper, aggregate->result, 0, text_of(shipper, &text));
        buffer_destroy(&text);
    }
    return fine;
}

static bool
aggregates(const struct query *query)
{
    return query->has_aggregates || query->group_count > 0;
}

/* SH3. The group that is a shard column is one above, too. */
static bool
groups_are_whole(struct shipper *shipper, const struct query *query)
{
    bool whole = false;
    for (uint32_t i = 0; i < query->group_count; i++) {
        const struct key *key = key_of(shipper, query->groups[i].expr);
        if (key != NULL && !key->nullable) {
            whole = true;
            if (query->groups[i].expr->kind == EXPR_REGISTER) {
                key_add(shipper, query->groups[i].reg, key->source, false);
            }
        }
    }
    return whole;
}

/* ORDER BY and LIMIT of a query whose targets have names or can be put. */
static bool
put_order(struct shipper *shipper, const struct query *query, struct buffer *to)
{
    bool fine = true;
    for (uint32_t i = 0; i < query->order_count && fine; i++) {
        const struct query_sort *order = &query->order[i];
        buffer_add_text(to, i == 0 ? " ORDER BY " : ", ");
        fine = put(shipper, query->targets[order->target].expr, to);
        buffer_printf(to, "%s%s", order->descending ? " DESC" : "",
            order->nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
    return fine;
}

/* The whole of a query inside of another: inner, one that is tied (SH2) or has no sharded table. */
static bool
put_query(struct shipper *shipper, const struct query *query, bool inner, struct buffer *to)
{
    struct buffer rest = {0};
    uint32_t first = shipper->source_count;
    bool fine = query->kind == QUERY_SELECT && !query->has_windows && query->set_function == NULL &&
                query->lock_count == 0 && query->distinct_on_count == 0 && !query->with_ties &&
                bind_check_stack(shipper->planner->binder) == ERR_OK &&
                put_from(shipper, query, &rest);
    if (fine && aggregates(query)) {
        fine = put_groups(shipper, query, &rest) && name_aggregates(shipper, query);
        bool whole = groups_are_whole(shipper, query);
        fine = fine && (whole || inner || first == shipper->source_count);
        if (fine && query->having != NULL) {
            buffer_add_text(&rest, " HAVING ");
            fine = put(shipper, query->having, &rest);
        }
    }
    buffer_add_text(to, query->distinct ? "SELECT DISTINCT " : "SELECT ");
    for (uint32_t i = 0; i < query->column_count && fine; i++) {
        buffer_add_text(to, i == 0 ? "" : ", ");
        fine = put(shipper, query->targets[i].expr, to);
    }
    buffer_add_text(to, query->column_count == 0 ? "1" : "");
    buffer_add(to, rest.data, rest.size);
    if (fine && inner) {
        fine = put_order(shipper, query, to);
        if (fine && query->limit != NULL) {
            buffer_add_text(to, " LIMIT ");
            fine = put(shipper, query->limit, to);
        }
        if (fine && query->offset != NULL) {
            buffer_add_text(to, " OFFSET ");
            fine = put(shipper, query->offset, to);
        }
    }
    buffer_destroy(&rest);
    return fine;
}

/* ---- what conditions say of the nodes ----------------------------------------------------------
 */

static bool
is_value(const struct expr *expr, oid_t column)
{
    expr = expr_strip_integers(expr);
    bool text = (expr->type == TYPE_TEXT || expr->type == TYPE_VARCHAR) &&
                (column == TYPE_TEXT || column == TYPE_VARCHAR);
    return (expr->kind == EXPR_PARAM || expr->kind == EXPR_CONST) &&
           (expr->type == column || text ||
               (type_is_integer(expr->type) && type_is_integer(column)));
}

struct key_list {
    struct plan_remote_key *items;
    uint32_t count, capacity;
};

static void
note_key(struct shipper *shipper, enum plan_remote_compare compare, struct expr *const *values,
    uint32_t count, struct key_list *to)
{
    const struct relation *relation = shipper->sharded;
    struct expr **kept = arena_alloc(shipper->arena, (count + 1) * sizeof *kept);
    for (uint32_t i = 0; i < count; i++) {
        kept[i] = (struct expr *)(uintptr_t)expr_strip_integers(values[i]);
        if (!is_value(kept[i], relation->columns[relation->sharding->column].type)) {
            return;
        }
    }
    if (to->count == to->capacity) {
        to->capacity = to->capacity == 0 ? 8 : 2 * to->capacity;
        struct plan_remote_key *more = arena_alloc(shipper->arena, to->capacity * sizeof *more);
        if (to->count > 0) {
            memcpy(more, to->items, to->count * sizeof *more);
        }
        to->items = more;
    }
    to->items[to->count++] =
        (struct plan_remote_key){.compare = compare, .values = kept, .value_count = count};
}

static void
note_condition(struct shipper *shipper, const struct expr *expr, struct key_list *to)
{
    if (expr->kind == EXPR_AND) {
        for (uint32_t i = 0; i < expr->count; i++) {
            note_condition(shipper, expr->list[i], to);
        }
        return;
    }
    if (expr->kind == EXPR_IN && key_of(shipper, expr->list[0]) != NULL) {
        note_key(shipper, REMOTE_ANY_OF, expr->list + 1, expr->count - 1, to);
        return;
    }
    const struct operator_def *op =
        expr->kind == EXPR_CALL && expr->count == 2 ? expr_operator(expr) : NULL;
    if (op == NULL) {
        return;
    }
    for (uint32_t side = 0; side < 2; side++) {
        if (key_of(shipper, expr->list[side]) == NULL) {
            continue;
        }
        if (strcmp(op->name, "=") == 0) {
            note_key(shipper, REMOTE_ANY_OF, &expr->list[1 - side], 1, to);
        } else if (is_any(op->name, (const char *const[]){"<", "<=", ">", ">=", NULL})) {
            bool less = (op->name[0] == '<') == (side == 0);
            bool strict = op->name[1] == '\0';
            note_key(shipper,
                !less    ? REMOTE_GREATER
                : strict ? REMOTE_LESS
                         : REMOTE_LESS_EQUAL,
                &expr->list[1 - side], 1, to);
        }
    }
}

static void
note_conditions(
    struct shipper *shipper, struct expr *const *conds, uint32_t count, struct plan_remote *remote)
{
    struct key_list keys = {0};
    for (uint32_t i = 0; i < count && shipper->sharded != NULL; i++) {
        note_condition(shipper, conds[i], &keys);
    }
    remote->keys = keys.items;
    remote->key_count = keys.count;
}

/* ---- the leaf ----------------------------------------------------------------------------------
 */

struct output_list {
    struct plan_remote_output *items;
    uint32_t count, capacity;
};

static void
output_add(struct shipper *shipper, struct output_list *to, reg_t reg, oid_t type, int32_t typmod,
    const char *text)
{
    if (to->count == to->capacity) {
        to->capacity = to->capacity == 0 ? 16 : 2 * to->capacity;
        struct plan_remote_output *more = arena_alloc(shipper->arena, to->capacity * sizeof *more);
        if (to->count > 0) {
            memcpy(more, to->items, to->count * sizeof *more);
        }
        to->items = more;
    }
    to->items[to->count++] =
        (struct plan_remote_output){.reg = reg, .type = type, .typmod = typmod, .text = text};
}

/* All columns that can be had: live.c picks. */
static void
add_columns(struct shipper *shipper, const struct rel *rel, struct output_list *to)
{
    if (rel->kind == REL_QUERY) {
        for (uint32_t i = 0; i < rel->query->column_count; i++) {
            const struct target *target = &rel->query->targets[i];
            const struct name *name = name_find(shipper, target->reg);
            if (name != NULL) {
                output_add(
                    shipper, to, target->reg, target->expr->type, target->expr->typmod, name->text);
            }
        }
        return;
    }
    for (uint32_t c = 0; c < rel->relation->column_count; c++) {
        const struct column *column = &rel->relation->columns[c];
        const struct name *name = name_find(shipper, rel->base + c);
        if (name != NULL) {
            output_add(shipper, to, rel->base + c, column->type, column->typmod, name->text);
        }
    }
}

void
ship_text(const struct plan_remote *remote, bool all, struct buffer *to)
{
    uint32_t count = all ? remote->output_count : remote->wanted_count;
    buffer_add_text(to, remote->distinct ? "SELECT DISTINCT " : "SELECT ");
    for (uint32_t i = 0; i < count; i++) {
        buffer_printf(
            to, "%s%s", i == 0 ? "" : ", ", remote->outputs[all ? i : remote->wanted[i]].text);
    }
    buffer_add_text(to, count == 0 ? "1" : "");
    buffer_add_text(to, remote->rest);
}

/* SH5 */
static bool
is_understood(struct shipper *shipper, const struct plan_remote *remote)
{
    struct planner *planner = shipper->planner;
    struct buffer marked = {0}, text = {0};
    ship_text(remote, true, &marked);
    bool inside = false;
    for (size_t i = 0; i < marked.size; i++) {
        if (marked.data[i] == REMOTE_PARAM) {
            inside = !inside;
            buffer_add_text(&text, inside ? "NULL" : "");
        } else if (!inside) {
            buffer_add_u8(&text, marked.data[i]);
        }
    }
    struct arena arena;
    struct diag diag;
    struct ast_list *list = NULL;
    struct query *query = NULL;
    arena_create(&arena, "ship");
    bool fine = parser_parse(&arena, (const char *)text.data, text.size, &list, &diag) == ERR_OK;
    if (fine) {
        struct plan_context context = {.arena = &arena,
            .diag = &diag,
            .catalog = planner->context->catalog,
            .env = planner->context->env};
        struct binder binder;
        bind_start(&binder, planner->task, &context);
        const struct ast_node *body = ast_as_statement(ast_list_at(list, 0))->body;
        fine = bind_select(&binder, NULL, ast_as_select(body), &query) == ERR_OK;
    }
    uint32_t count = remote->output_count;
    fine = fine && query->column_count == (count == 0 ? 1 : count);
    for (uint32_t i = 0; fine && i < count; i++) {
        fine = query->targets[i].expr->type == remote->outputs[i].type;
    }
    arena_destroy(&arena);
    buffer_destroy(&marked);
    buffer_destroy(&text);
    return fine;
}

static struct plan_node *
leaf(struct shipper *shipper, struct plan_remote *remote, const struct output_list *outputs,
    const struct buffer *rest, double rows)
{
    remote->sharded = shipper->sharded;
    remote->home = shipper->home;
    remote->replicated = shipper->replicated;
    remote->outputs = outputs->items;
    remote->output_count = outputs->count;
    remote->rest = text_of(shipper, rest);
    struct plan_node *node = plan_node_new(shipper->planner, PLAN_REMOTE, rows, rows, NULL);
    node->remote = remote;
    return node;
}

static void
shipper_start(struct shipper *shipper, struct planner *planner)
{
    *shipper = (struct shipper){.planner = planner, .arena = planner->arena};
}

/* All in one place, or rows together as they should be (SH1). */
static bool
is_together(const struct shipper *shipper)
{
    if (shipper->home) {
        return shipper->sharded == NULL;
    }
    return is_one(shipper, 0, shipper->source_count);
}

/* ---- partial aggregates (SH3) ------------------------------------------------------------------
 */

struct partial {
    struct shipper *shipper;
    struct output_list outputs;
    struct plan_aggregate *combined;
    uint32_t combined_count;
    struct plan_target *results; /* from what was combined */
    uint32_t result_count;
    bool failed;
};

static oid_t
result_type(const struct function *function, oid_t arg)
{
    bool any = function->result == TYPE_ANY || function->result == 0;
    return any ? arg : function->result;
}

/* One more value of the nodes, put together by `how`. */
static struct expr *
combine(struct partial *partial, const struct plan_aggregate *of, const char *there, oid_t type,
    const struct expr *cast_of, oid_t cast, const char *how)
{
    struct shipper *shipper = partial->shipper;
    struct binder *binder = shipper->planner->binder;
    struct buffer text = {0};
    if (!put_aggregate(shipper, of, there, cast_of, cast, &text)) {
        partial->failed = true;
    }
    reg_t reg = bind_registers(binder, 2);
    output_add(shipper, &partial->outputs, reg, type, -1, text_of(shipper, &text));
    buffer_destroy(&text);
    struct expr **args = arena_alloc(shipper->arena, sizeof *args);
    args[0] = expr_register(binder, reg, type, -1, -1);
    const struct function *function = NULL;
    if (bind_function(binder, how, args, 1, -1, &function) != ERR_OK || function == NULL ||
        args[0]->type != type) {
        partial->failed = true;
        return NULL;
    }
    partial->combined[partial->combined_count++] = (struct plan_aggregate){
        .function = function, .args = args, .arg_count = 1, .result = reg + 1};
    return expr_register(binder, reg + 1, result_type(function, type), -1, -1);
}

static void
give(struct partial *partial, const struct plan_aggregate *aggregate, struct expr *expr)
{
    partial->results[partial->result_count++] =
        (struct plan_target){.expr = expr, .reg = aggregate->result};
}

/* False: its parts do not make the whole. */
static bool
split(struct partial *partial, const struct plan_aggregate *aggregate)
{
    static const char *const same[] = {"min", "max", "bool_and", "bool_or", "every", NULL};
    struct binder *binder = partial->shipper->planner->binder;
    const char *name = aggregate->function->name;
    if (aggregate->order_count > 0 || aggregate->arg_count > 1) {
        return false;
    }
    oid_t arg = aggregate->arg_count == 0 ? 0 : aggregate->args[0]->type;
    bool number = type_is_integer(arg) || arg == TYPE_NUMERIC;
    if (is_any(name, same) && aggregate->arg_count == 1) {
        oid_t type = result_type(aggregate->function, arg);
        give(partial, aggregate, combine(partial, aggregate, name, type, NULL, 0, name));
        return !partial->failed;
    }
    if (aggregate->distinct) {
        return false;
    }
    if (strcmp(name, "count") == 0) {
        struct expr *sum = combine(partial, aggregate, name, TYPE_INT8, NULL, 0, "sum");
        if (sum == NULL || bind_cast(binder, &sum, TYPE_INT8, -1, -1) != ERR_OK) {
            return false;
        }
        give(partial, aggregate, sum);
        return true;
    }
    if (strcmp(name, "sum") == 0 &&
        (number || arg == TYPE_FLOAT8 || arg == TYPE_FLOAT4 || arg == TYPE_INTERVAL)) {
        oid_t type = aggregate->function->result;
        struct expr *sum = combine(partial, aggregate, name, type, NULL, 0, "sum");
        if (sum == NULL || (sum->type != type && bind_cast(binder, &sum, type, -1, -1) != ERR_OK)) {
            return false;
        }
        give(partial, aggregate, sum);
        return true;
    }
    if (strcmp(name, "avg") == 0 && (number || arg == TYPE_FLOAT8 || arg == TYPE_FLOAT4)) {
        oid_t type = aggregate->function->result; /* numeric, float8 */
        struct expr *sum =
            combine(partial, aggregate, "sum", type, aggregate->args[0], type, "sum");
        struct expr *count = combine(partial, aggregate, "count", TYPE_INT8, NULL, 0, "sum");
        struct expr *average = NULL;
        if (sum == NULL || count == NULL || bind_cast(binder, &count, type, -1, -1) != ERR_OK ||
            bind_operator(binder, "/", sum, count, -1, &average) != ERR_OK ||
            average->type != type) {
            return false;
        }
        give(partial, aggregate, average);
        return true;
    }
    return false;
}

/* From the nodes' partial aggregates to the query's. */
static struct plan_node *
put_together(struct partial *partial, const struct query *query, const reg_t *groups,
    struct plan_node *child)
{
    struct planner *planner = partial->shipper->planner;
    struct plan_node *node =
        plan_node_new(planner, PLAN_AGGREGATE, child->rows, child->cost, child);
    node->aggregate.groups =
        arena_alloc(planner->arena, (query->group_count + 1) * sizeof *node->aggregate.groups);
    node->aggregate.group_count = query->group_count;
    for (uint32_t i = 0; i < query->group_count; i++) {
        const struct group_item *group = &query->groups[i];
        node->aggregate.groups[i] = (struct plan_target){.reg = group->reg,
            .expr = expr_register(
                planner->binder, groups[i], group->expr->type, group->expr->typmod, -1)};
    }
    node->aggregate.aggregates = partial->combined;
    node->aggregate.aggregate_count = partial->combined_count;
    if (partial->result_count > 0) {
        node = plan_node_new(planner, PLAN_PROJECT, child->rows, child->cost, node);
        node->project.targets = partial->results;
        node->project.count = partial->result_count;
    }
    return node;
}

/* NULL: they cannot be. */
static struct plan_node *
ship_partial(struct shipper *shipper, struct query *query, const struct buffer *from)
{
    struct planner *planner = shipper->planner;
    uint32_t count = query->aggregates.count;
    struct partial partial = {.shipper = shipper,
        .combined = arena_alloc(shipper->arena, (2 * count + 1) * sizeof *partial.combined),
        .results = arena_alloc(shipper->arena, (count + 1) * sizeof *partial.results)};
    struct plan_remote *remote = arena_alloc(shipper->arena, sizeof *remote);
    struct buffer rest = {0};
    buffer_add(&rest, from->data, from->size);
    struct plan_node *node = NULL;
    reg_t *groups = arena_alloc(shipper->arena, (query->group_count + 1) * sizeof *groups);
    bool fine = put_groups(shipper, query, &rest);
    for (uint32_t i = 0; i < query->group_count && fine; i++) {
        const struct group_item *group = &query->groups[i];
        groups[i] = bind_registers(planner->binder, 1);
        output_add(shipper, &partial.outputs, groups[i], group->expr->type, group->expr->typmod,
            name_find(shipper, group->reg)->text);
    }
    for (uint32_t i = 0; i < count && fine; i++) {
        fine = split(&partial, query->aggregates.items[i]) && !partial.failed;
    }
    if (fine) {
        note_conditions(shipper, query->from->conds.items, query->from->conds.count, remote);
        remote->merge = "partial aggregates";
        node = leaf(shipper, remote, &partial.outputs, &rest, ROWS_GUESS);
        node = is_understood(shipper, remote) ? put_together(&partial, query, groups, node) : NULL;
    }
    buffer_destroy(&rest);
    return node;
}

/* ---- DISTINCT, ORDER BY, LIMIT (SH4) -----------------------------------------------------------
 */

static bool
put_plain_limit(const struct query *query, struct buffer *to)
{
    const struct expr *limit = query->limit, *offset = query->offset;
    int64_t count = limit->constant.i;
    bool plain =
        limit->kind == EXPR_CONST && !limit->constant.null && count >= 0 &&
        (offset == NULL ||
            (offset->kind == EXPR_CONST && !offset->constant.null && offset->constant.i >= 0 &&
                !__builtin_add_overflow(count, offset->constant.i, &count)));
    if (plain) {
        buffer_printf(to, " LIMIT %lld", (long long)count);
    }
    return plain;
}

/* The targets that are sorted or made distinct by, and the clauses. False: they stay here. */
static bool
put_tail(struct shipper *shipper, struct query *query, bool sorted, struct output_list *outputs,
    struct buffer *to)
{
    bool fine = true;
    for (uint32_t i = 0; i < query->target_count && fine; i++) {
        struct target *target = &query->targets[i];
        bool late = query->limit == NULL && query->offset == NULL && !target->junk &&
                    expr_has_subplan(target->expr); /* SH6: all rows come out */
        target->shipped = !target->plain && (late || query_target_is_early(query, i));
        if (target->shipped) {
            struct buffer text = {0};
            fine = put(shipper, target->expr, &text);
            output_add(shipper, outputs, target->reg, target->expr->type, target->expr->typmod,
                text_of(shipper, &text));
            buffer_destroy(&text);
        }
    }
    if (!fine || query->limit == NULL || query->with_ties) {
        return fine && (!sorted || put_order(shipper, query, to));
    }
    fine = put_order(shipper, query, to);
    if (put_plain_limit(query, to)) {
        return fine;
    }
    buffer_add_text(to, " LIMIT CAST(GREATEST(0::numeric, LEAST(CAST(");
    fine = fine && put(shipper, query->limit, to);
    buffer_add_text(to, " AS numeric)");
    if (query->offset != NULL) {
        buffer_add_text(to, " + COALESCE(");
        fine = fine && put(shipper, query->offset, to);
        buffer_add_text(to, ", 0)");
    }
    buffer_add_text(to, ", 9223372036854775807)) AS bigint)");
    return fine;
}

/* ORDER BY alone: what it computes. */
static bool
put_sorted(
    struct shipper *shipper, struct query *query, struct output_list *outputs, struct buffer *to)
{
    for (uint32_t i = 0; i < query->order_count; i++) {
        struct target *target = &query->targets[query->order[i].target];
        if (target->plain || target->shipped) {
            continue;
        }
        struct buffer text = {0};
        bool fine = put(shipper, target->expr, &text);
        output_add(shipper, outputs, target->reg, target->expr->type, target->expr->typmod,
            text_of(shipper, &text));
        buffer_destroy(&text);
        target->shipped = true;
        if (!fine) {
            return false;
        }
    }
    return put_order(shipper, query, to);
}

/* Whether the rows that nodes give in ORDER BY's order can come out in it (SH7). */
static bool
may_merge(const struct query *query)
{
    return query->order_count > 0 && !query->distinct && query->distinct_on_count == 0 &&
           !query->has_windows && query->set_function == NULL;
}

/* SH7. False: something that is sorted by is not among the outputs. */
static bool
note_order(struct planner *planner, const struct query *query, const struct output_list *outputs,
    struct plan_remote *remote)
{
    remote->order = query_sort_keys(planner, query, &remote->order_count);
    for (uint32_t k = 0; k < remote->order_count; k++) {
        bool found = false;
        for (uint32_t i = 0; i < outputs->count && !found; i++) {
            found = outputs->items[i].reg == remote->order[k].reg &&
                    outputs->items[i].type == remote->order[k].type;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* Nothing above that needs more rows than DISTINCT, ORDER BY and LIMIT let through. */
static bool
has_tail(const struct query *query)
{
    bool asked = query->distinct || query->limit != NULL;
    for (uint32_t i = 0; i < query->target_count; i++) {
        asked |= expr_has_subplan(query->targets[i].expr);
    }
    return asked && !query->has_windows && query->set_function == NULL &&
           query->distinct_on_count == 0;
}

/* Aggregates that do not care how often a value comes. */
static bool
is_set_like(const struct query *query)
{
    static const char *const names[] = {"min", "max", "bool_and", "bool_or", "every", NULL};
    for (uint32_t i = 0; i < query->aggregates.count; i++) {
        const struct plan_aggregate *aggregate = query->aggregates.items[i];
        if (!aggregate->distinct && !is_any(aggregate->function->name, names)) {
            return false;
        }
    }
    return query->aggregates.count > 0 && query->sets == NULL;
}

/* ---- a query level -----------------------------------------------------------------------------
 */

static bool
is_for_shipping(const struct planner *planner, const struct query *query)
{
    if (!planner->context->remote || query->from == NULL || query->lock_count > 0 ||
        query->from->kind != TREE_LIST || query->from->items.count == 0) {
        return false;
    }
    for (uint32_t i = 0; i < query->rels.count; i++) {
        const struct rel *rel = query->rels.items[i];
        if (!is_table(rel) && rel->kind != REL_QUERY) {
            return false;
        }
    }
    return true;
}

/* Whole groups: their values and those of the aggregates come from the nodes. */
static bool
put_whole_groups(struct shipper *shipper, const struct query *query, struct output_list *outputs,
    struct buffer *rest)
{
    bool whole = shipper->sharded == NULL || groups_are_whole(shipper, query);
    if (!whole || !put_groups(shipper, query, rest) || !name_aggregates(shipper, query)) {
        return false;
    }
    if (query->having != NULL) {
        buffer_add_text(rest, " HAVING ");
        if (!put(shipper, query->having, rest)) {
            return false;
        }
    }
    *outputs = (struct output_list){0};
    for (uint32_t i = 0; i < query->group_count; i++) {
        const struct group_item *group = &query->groups[i];
        output_add(shipper, outputs, group->reg, group->expr->type, group->expr->typmod,
            name_find(shipper, group->reg)->text);
    }
    for (uint32_t i = 0; i < query->aggregates.count; i++) {
        const struct plan_aggregate *aggregate = query->aggregates.items[i];
        oid_t arg = aggregate->arg_count > 0 ? aggregate->args[0]->type : 0;
        output_add(shipper, outputs, aggregate->result, result_type(aggregate->function, arg), -1,
            name_find(shipper, aggregate->result)->text);
    }
    return true;
}

static const char *
merge_words(const struct query *query, bool grouped, bool tail, bool sorted)
{
    if (tail && query->order_count > 0 && query->limit != NULL) {
        return sorted ? "the first rows of each, merged in order" : "the first rows of each";
    }
    if (sorted) {
        return grouped ? "whole groups, merged in order" : "rows, merged in order";
    }
    if (tail && query->limit != NULL) {
        return "rows up to the limit";
    }
    if (tail && query->distinct) {
        return "distinct rows";
    }
    return grouped ? "whole groups" : "rows";
}

/* One way to do it. */
struct attempt {
    bool whole;   /* groups are asked for */
    bool partial; /* or partial aggregates */
    bool tail;    /* DISTINCT, ORDER BY, LIMIT too */
    bool sorted;  /* the rows in ORDER BY's order, for a merge */
};

/* NULL: not so. */
static struct plan_node *
ship_attempt(const struct shipper *at_from, struct query *query, const struct attempt *attempt,
    const struct output_list *columns, const struct buffer *from)
{
    struct planner *planner = at_from->planner;
    struct shipper shipper = *at_from;
    struct output_list outputs = *columns;
    outputs.capacity = outputs.count; /* what is added is not the next attempt's */
    struct buffer rest = {0};
    struct plan_node *node = NULL;
    buffer_add(&rest, from->data, from->size);
    for (uint32_t i = 0; i < query->target_count; i++) {
        query->targets[i].shipped = false;
    }
    if (attempt->partial) {
        node = ship_partial(&shipper, query, &rest);
        buffer_destroy(&rest);
        return node;
    }
    struct plan_remote *remote = arena_alloc(planner->arena, sizeof *remote);
    bool fine = !attempt->whole || put_whole_groups(&shipper, query, &outputs, &rest);
    if (fine && attempt->tail) {
        fine = put_tail(&shipper, query, attempt->sorted, &outputs, &rest);
    } else if (fine && attempt->sorted) {
        fine = put_sorted(&shipper, query, &outputs, &rest);
    }
    if (fine && attempt->sorted) {
        fine = note_order(planner, query, &outputs, remote);
    }
    if (fine) {
        bool grouped = aggregates(query);
        note_conditions(&shipper, query->from->conds.items, query->from->conds.count, remote);
        remote->distinct = (attempt->tail && query->distinct) ||
                           (grouped && !attempt->whole && is_set_like(query));
        remote->merge = merge_words(query, attempt->whole, attempt->tail, attempt->sorted);
        node = leaf(&shipper, remote, &outputs, &rest, ROWS_GUESS);
        node = is_understood(&shipper, remote) ? node : NULL;
    }
    buffer_destroy(&rest);
    return node;
}

/* The most first: groups and the tail; groups; partial aggregates; rows. Each in order, if that is
 * wanted, before each as it comes. */
static uint32_t
list_attempts(const struct query *query, struct attempt *list)
{
    bool grouped = aggregates(query), merge = may_merge(query);
    uint32_t count = 0;
    for (int sorted = merge ? 1 : 0; sorted >= 0 && has_tail(query); sorted--) {
        list[count++] = (struct attempt){.whole = grouped, .tail = true, .sorted = sorted == 1};
    }
    for (int sorted = merge ? 1 : 0; sorted >= 0 && grouped; sorted--) {
        list[count++] = (struct attempt){.whole = true, .sorted = sorted == 1};
    }
    if (grouped && query->sets == NULL) {
        list[count++] = (struct attempt){.partial = true};
    }
    if (!grouped && merge) {
        list[count++] = (struct attempt){.sorted = true};
    }
    list[count++] = (struct attempt){0};
    return count;
}

enum err
ship_query(struct planner *planner, struct query *query, enum shipped *shipped, bool *ordered,
    struct path *path)
{
    struct shipper shipper;
    struct buffer from = {0};
    *shipped = SHIPPED_NOTHING;
    *ordered = false;
    if (!is_for_shipping(planner, query)) {
        return ERR_OK;
    }
    shipper_start(&shipper, planner);
    if (!put_from(&shipper, query, &from) || !is_together(&shipper)) {
        buffer_destroy(&from);
        return ERR_OK;
    }
    struct output_list outputs = {0};
    for (uint32_t i = 0; i < query->rels.count; i++) {
        add_columns(&shipper, query->rels.items[i], &outputs);
    }
    struct attempt list[6];
    struct plan_node *node = NULL;
    uint32_t count = list_attempts(query, list);
    for (uint32_t i = 0; node == NULL && i < count; i++) {
        node = ship_attempt(&shipper, query, &list[i], &outputs, &from);
        *shipped = list[i].partial ? SHIPPED_PARTIAL
                   : list[i].whole ? SHIPPED_GROUPS
                                   : SHIPPED_ROWS;
        *ordered = list[i].sorted;
    }
    buffer_destroy(&from);
    if (node == NULL) {
        for (uint32_t i = 0; i < query->target_count; i++) {
            query->targets[i].shipped = false;
        }
        *shipped = SHIPPED_NOTHING;
        *ordered = false;
        return ERR_OK;
    }
    if (*shipped == SHIPPED_PARTIAL && query->having != NULL) {
        struct expr_vec having = {0};
        expr_conjuncts(planner->arena, query->having, &having);
        for (uint32_t i = 0; i < having.count; i++) {
            TRY(plan_subplans(planner, having.items[i]));
        }
        node = plan_node_new(planner, PLAN_FILTER, node->rows, node->cost, node);
        node_filter(planner, node, having.items, having.count);
    }
    *path = (struct path){.node = node, .rows = node->rows, .cost = node->cost};
    return ERR_OK;
}

/* ---- a table alone -----------------------------------------------------------------------------
 */

enum err
ship_table(struct planner *planner, struct rel *rel, struct plan_node *node)
{
    struct shipper shipper;
    struct buffer rest = {0};
    struct output_list outputs = {0};
    struct plan_remote *remote = arena_alloc(planner->arena, sizeof *remote);
    struct plan_relation *relation = &remote->relation;
    *relation =
        (struct plan_relation){.relation = rel->relation, .alias = rel->alias, .base = rel->base};
    shipper_start(&shipper, planner);
    if (rel->identity) { /* what is prepared here to be described, and runs elsewhere */
        *relation = node->scan.relation;
        remote->locks = true;
    }
    buffer_add_text(&rest, " FROM ");
    (void)put_table(&shipper, rel, false, &rest);
    add_columns(&shipper, rel, &outputs);
    /* Whatever of the filter can be said there; the rest stays. */
    const char *word = " WHERE ";
    struct expr_vec left = {0};
    for (uint32_t i = 0; i < node->filter_count; i++) {
        struct expr *expr = node->filter[i];
        struct buffer text = {0};
        struct plan_remote alone = {.outputs = outputs.items, .output_count = outputs.count};
        bool fine = !expr_has_subplan(expr) && put(&shipper, expr, &text);
        if (fine) {
            size_t before = rest.size;
            buffer_add_text(&rest, word);
            buffer_add(&rest, text.data, text.size);
            alone.rest = text_of(&shipper, &rest);
            fine = is_understood(&shipper, &alone);
            rest.size = fine ? rest.size : before;
        }
        word = fine ? " AND " : word;
        if (!fine) {
            expr_vec_add(planner->arena, &left, expr);
        }
        buffer_destroy(&text);
    }
    note_conditions(&shipper, node->filter, node->filter_count, remote);
    remote->merge = "rows";
    struct plan_node *made = leaf(&shipper, remote, &outputs, &rest, node->rows);
    made->filter = left.items;
    made->filter_count = left.count;
    made->cost = node->cost;
    *node = *made;
    rel->planned = relation;
    buffer_destroy(&rest);
    return ERR_OK;
}
