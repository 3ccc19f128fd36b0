/*
 * sql/bind/record.c - rows as values: ROW(..), a table's name or t.* where a value is wanted, and
 * the fields of such values.
 *
 * A row becomes a call of record_build (sql/value/record.c) whose arguments tell each column's
 * type, name and value; so plans and the executor know nothing of rows. A field of such a call is
 * that argument.
 */
#include "base/assert.h"
#include "sql/bind/bind.h"

static struct expr *
build(struct binder *binder, const char *function_name, struct expr *const *values,
    const char *const *names, uint32_t count, int32_t location)
{
    size_t run = 0;
    const struct function *function = function_by_name(function_name, &run);
    struct expr **args = arena_alloc(binder->arena, (3 * (size_t)count + 1) * sizeof *args);
    ASSERT(run == 1);
    for (uint32_t i = 0; i < count; i++) {
        args[3 * i] = expr_const(binder, TYPE_OID, datum_int(values[i]->type), location);
        args[3 * i + 1] =
            expr_const(binder, TYPE_TEXT, datum_bytes(names[i], strlen(names[i])), location);
        args[3 * i + 2] = values[i];
    }
    return expr_call(binder, function, NULL, args, 3 * count, location);
}

struct expr *
bind_record(struct binder *binder, struct expr *const *values, const char *const *names,
    uint32_t count, int32_t location)
{
    return build(binder, "record_build", values, names, count, location);
}

/* Of a record made here: how many fields it has; 0: made elsewhere. */
static uint32_t
field_count(const struct expr *record)
{
    bool built = record->kind == EXPR_CALL && record->type == TYPE_RECORD &&
                 strncmp(record->function->name, "record_", 7) == 0;
    return built ? record->count / 3 : 0;
}

enum err
bind_row(struct binder *binder, struct scope *scope, const struct ast_row *node, struct expr **expr)
{
    struct expr_vec values = {0};
    struct vec names = {0};
    AST_FOREACH(at, node->list)
    {
        if ((*at)->kind == AST_COLUMN && ast_as_column(*at)->star) {
            TRY(scope_star(binder, scope, ast_as_column(*at), &values, &names));
            continue;
        }
        struct expr *value;
        TRY(bind_expr(binder, scope, *at, &value));
        TRY(bind_to_text_if_unknown(binder, &value));
        expr_vec_add(binder->arena, &values, value);
    }
    const char **fields = arena_alloc(binder->arena, (values.count + (size_t)1) * sizeof *fields);
    for (uint32_t i = 0; i < values.count; i++) {
        fields[i] = arena_printf(binder->arena, "f%u", i + 1);
    }
    *expr = build(binder, "record_build", values.items, fields, values.count, node->node.location);
    return ERR_OK;
}

struct expr *
bind_whole_row(struct binder *binder, struct from_item *item, int32_t location)
{
    struct expr_vec values = {0};
    struct vec names = {0};
    item_columns(binder, item, &values, &names);
    return build(binder, "record_of_row", values.items, (const char *const *)(void *)names.items,
        values.count, location);
}

enum err
bind_star_row(
    struct binder *binder, struct scope *scope, const struct ast_column *node, struct expr **expr)
{
    struct expr_vec values = {0};
    struct vec names = {0};
    TRY(scope_star(binder, scope, node, &values, &names));
    *expr = build(binder, "record_of_row", values.items, (const char *const *)(void *)names.items,
        values.count, node->node.location);
    return ERR_OK;
}

struct expr *
bind_call_row(struct binder *binder, const struct plan_call *call, int32_t location)
{
    uint32_t count = function_column_count(call->function);
    struct expr **values = arena_alloc(binder->arena, count * sizeof *values);
    for (uint32_t i = 0; i < count; i++) {
        values[i] = expr_register(
            binder, call->result + i, function_column_type(call->function, i), -1, location);
    }
    return build(
        binder, "record_build", values, call->function->set->column_names, count, location);
}

/* The expression that makes the rows which the register holds; NULL: it is not to be seen. */
static struct expr *
maker_in(const struct query *query, reg_t reg)
{
    for (uint32_t depth = 0; query != NULL && depth < AST_DEPTH_MAX; depth++) {
        const struct rel *rel = query_rel(query, reg);
        const struct query *inner = rel != NULL && rel->kind == REL_QUERY ? rel->query : NULL;
        if (inner == NULL || inner->kind != QUERY_SELECT) {
            return NULL;
        }
        struct expr *found = NULL;
        for (uint32_t i = 0; i < inner->target_count && found == NULL; i++) {
            found = inner->targets[i].reg == reg ? inner->targets[i].expr : NULL;
        }
        if (found == NULL || found->kind != EXPR_REGISTER) {
            return found;
        }
        reg = found->reg;
        query = inner;
    }
    return NULL;
}

static struct expr *
maker_of(const struct scope *scope, struct expr *record)
{
    if (record->kind == EXPR_SUBPLAN) {
        const struct bound_subplan *subplan = (const void *)record->subplan;
        const struct query *query = subplan->query;
        return query->kind == QUERY_SELECT && subplan->column < query->target_count
                   ? query->targets[subplan->column].expr
                   : NULL;
    }
    if (record->kind != EXPR_REGISTER) {
        return record;
    }
    struct expr *maker = NULL;
    for (; scope != NULL && maker == NULL; scope = scope->parent) {
        maker = scope->query == NULL ? NULL : maker_in(scope->query, record->reg);
    }
    return maker;
}

struct expr *
bind_record_nulls(struct binder *binder, struct expr *record, bool null, int32_t location)
{
    size_t run = 0;
    const struct function *function = function_by_name("record_nulls", &run);
    ASSERT(run == 1);
    struct expr **args = arena_alloc(binder->arena, 2 * sizeof *args);
    args[0] = record;
    args[1] = expr_bool(binder, null, -1);
    return expr_call(binder, function, NULL, args, 2, location);
}

/* Field i of a record that is made elsewhere, when it is there. */
static struct expr *
field_of(struct binder *binder, struct expr *record, oid_t type, int32_t typmod, uint32_t i)
{
    size_t run = 0;
    const struct function *general = function_by_name("record_field", &run);
    ASSERT(run == 1);
    struct function *own = arena_copy(binder->arena, general, sizeof *own);
    own->result = type;
    struct expr **args = arena_alloc(binder->arena, 2 * sizeof *args);
    args[0] = record;
    args[1] = expr_const(binder, TYPE_INT4, datum_int(i), -1);
    struct expr *field = expr_call(binder, own, NULL, args, 2, record->location);
    field->typmod = typmod;
    return field;
}

static struct expr *
field_at_run_time(struct binder *binder, struct expr *record, const struct expr *maker, uint32_t i)
{
    const struct expr *like = maker->list[3 * i + 2];
    return field_of(binder, record, like->type, like->typmod, i);
}

enum err
bind_record_fields(struct binder *binder, struct scope *scope, struct expr *record,
    int32_t location, struct expr_vec *exprs, struct vec *names)
{
    const struct expr *maker = record->type == TYPE_RECORD ? maker_of(scope, record) : NULL;
    uint32_t count = maker == NULL ? 0 : field_count(maker);
    const struct routine *routine = NULL;
    uint32_t columns = maker == NULL ? 0 : bind_routine_columns(maker, &routine);
    for (uint32_t i = 0; i < columns; i++) {
        expr_vec_add(
            binder->arena, exprs, field_of(binder, record, routine->result.types[i], -1, i));
        vec_add(binder->arena, names, arena_strdup(binder->arena, routine->column_names[i]));
    }
    if (columns > 0) {
        return ERR_OK;
    }
    if (count == 0) {
        return record->type != TYPE_RECORD
                   ? bind_error(binder, location, ERR_WRONG_OBJECT_TYPE, "type %s is not composite",
                         bind_type_name(binder, record->type))
                   : bind_unsupported(
                         binder, location, "the fields of a record of unknown columns are");
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct expr *name = maker->list[3 * i + 1];
        expr_vec_add(binder->arena, exprs,
            maker == record ? record->list[3 * i + 2]
                            : field_at_run_time(binder, record, maker, i));
        vec_add(binder->arena, names,
            arena_strndup(binder->arena, (const char *)name->constant.p, name->constant.size));
    }
    return ERR_OK;
}

enum err
bind_record_field(struct binder *binder, struct scope *scope, struct expr *record, const char *name,
    int32_t location, struct expr **expr)
{
    const struct expr *maker = record->type == TYPE_RECORD ? maker_of(scope, record) : NULL;
    uint32_t count = maker == NULL ? 0 : field_count(maker);
    for (uint32_t i = 0; i < count; i++) {
        const struct expr *field = maker->list[3 * i + 1];
        if (field->constant.size == strlen(name) &&
            memcmp(field->constant.p, name, field->constant.size) == 0) {
            *expr = maker == record ? record->list[3 * i + 2]
                                    : field_at_run_time(binder, record, maker, i);
            return ERR_OK;
        }
    }
    const struct routine *routine = NULL;
    uint32_t columns = maker == NULL ? 0 : bind_routine_columns(maker, &routine);
    for (uint32_t i = 0; i < columns; i++) {
        if (strcmp(routine->column_names[i], name) == 0) {
            *expr = field_of(binder, record, routine->result.types[i], -1, i);
            return ERR_OK;
        }
    }
    if (record->type != TYPE_RECORD) {
        (void)bind_error(binder, location, ERR_WRONG_OBJECT_TYPE,
            "column notation .%s applied to type %s, which is not a composite type", name,
            bind_type_name(binder, record->type));
        return ERR_WRONG_OBJECT_TYPE;
    }
    if (count + columns == 0) {
        return bind_unsupported(binder, location, "a field of a record of unknown columns is");
    }
    return bind_error(binder, location, ERR_UNDEFINED_COLUMN,
        "could not identify column \"%s\" in record data type", name);
}
