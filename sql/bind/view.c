/*
 * sql/bind/view.c - a view's query as it is kept: every table with its schema, every column with
 * its table, every star spelled out, every literal with its type.
 *
 * So what the text means depends neither on a search path nor on columns that come later. While the
 * query is bound, names.c and resolve.c note what they found at which place of the text; then the
 * tree is written back with that. A renamed table or column is followed by writing it back once
 * more, with other names.
 */
#include "parser/deparse.h"
#include "parser/parser.h"
#include "sql/bind/bind.h"

/* ---- notes ----------------------------------------------------------------------------------- */

void
bind_note(struct binder *binder, const struct bind_note *note)
{
    struct bind_notes *notes = binder->notes;
    if (notes->count == notes->capacity) {
        uint32_t wanted = notes->capacity == 0 ? 32 : notes->capacity * 2;
        struct bind_note *bigger = arena_alloc_raw(binder->arena, wanted * sizeof *bigger);
        if (notes->count > 0) {
            memcpy(bigger, notes->items, notes->count * sizeof *bigger);
        }
        notes->items = bigger;
        notes->capacity = wanted;
    }
    notes->items[notes->count++] = *note;
}

const struct bind_note *
bind_note_find(const struct bind_notes *notes, enum note_kind kind, int32_t location, uint32_t skip)
{
    for (uint32_t i = 0; i < notes->count && location >= 0; i++) {
        if (notes->items[i].kind == kind && notes->items[i].location == location && skip-- == 0) {
            return &notes->items[i];
        }
    }
    return NULL;
}

/* ---- writing back ---------------------------------------------------------------------------- */

struct writing {
    struct arena *arena;
    struct eval_env env; /* in which no user's type needs no schema */
    const struct bind_notes *notes;
    const struct view_rename *rename; /* or NULL */
};

static const char *
quote(const struct writing *writing, const char *name)
{
    return parser_quote_ident(writing->arena, name);
}

static const char *
column_text(const struct writing *writing, const struct bind_note *note)
{
    const struct view_rename *rename = writing->rename;
    const char *column = note->column;
    if (rename != NULL && note->relation != NULL && note->relation->oid == rename->relation &&
        rename->column >= 0 && (uint32_t)rename->column == note->number) {
        column = rename->name;
    }
    if (note->alias == NULL) {
        return quote(writing, column);
    }
    return arena_printf(
        writing->arena, "%s.%s", quote(writing, note->alias), quote(writing, column));
}

/* Of one table: the name alone. */
static const char *
write_bare_column(void *arg, const struct ast_column *column)
{
    const struct writing *writing = arg;
    const struct bind_note *note =
        bind_note_find(writing->notes, NOTE_COLUMN, column->node.location, 0);
    return note == NULL ? NULL : quote(writing, note->column);
}

static const char *
write_column(void *arg, const struct ast_column *column)
{
    const struct writing *writing = arg;
    const struct bind_note *note =
        bind_note_find(writing->notes, NOTE_COLUMN, column->node.location, 0);
    return note == NULL ? NULL : column_text(writing, note);
}

static bool
write_star(
    void *arg, const struct ast_column *column, uint32_t i, const char **text, const char **name)
{
    const struct writing *writing = arg;
    const struct bind_note *note =
        bind_note_find(writing->notes, NOTE_COLUMN, column->node.location, i);
    if (note == NULL) {
        return false;
    }
    *text = column_text(writing, note);
    *name = quote(writing, note->column);
    return true;
}

static const char *
write_table(void *arg, const struct ast_table *table)
{
    const struct writing *writing = arg;
    const struct bind_note *note =
        bind_note_find(writing->notes, NOTE_TABLE, table->node.location, 0);
    if (note == NULL) {
        return NULL;
    }
    const struct view_rename *rename = writing->rename;
    const struct relation *relation = note->relation;
    if (rename != NULL && rename->column < 0 && relation->oid == rename->relation) {
        return arena_printf(writing->arena, table->alias == NULL ? "%s.%s %s" : "%s.%s",
            quote(writing, rename->schema_name), quote(writing, rename->name),
            quote(writing, relation->name));
    }
    return arena_printf(writing->arena, "%s.%s", quote(writing, relation->schema_name),
        quote(writing, relation->name));
}

/* Names are read back under any search path. */
static const char *
type_text(const struct writing *writing, oid_t type)
{
    const struct view_rename *rename = writing->rename;
    bool it = rename != NULL && rename->label == NULL && type >= TYPE_USER_FIRST &&
              rename->relation == (type & ~(oid_t)1);
    if (!it) {
        return type_format(&writing->env, writing->arena, type, -1);
    }
    return arena_printf(writing->arena, "%s.%s%s", quote(writing, rename->schema_name),
        quote(writing, rename->name), (type & 1) == 0 ? "" : "[]");
}

/* A label that is called otherwise from now on. */
static const char *
write_literal(void *arg, const struct ast_const *literal)
{
    const struct writing *writing = arg;
    const struct view_rename *rename = writing->rename;
    const struct bind_note *note =
        bind_note_find(writing->notes, NOTE_LITERAL, literal->node.location, 0);
    if (rename == NULL || rename->label == NULL || note == NULL || note->type != rename->relation ||
        literal->text == NULL || strcmp(literal->text, rename->label) != 0) {
        return NULL;
    }
    return parser_quote_literal(writing->arena, rename->name, strlen(rename->name));
}

static const char *
write_literal_type(void *arg, const struct ast_const *literal)
{
    const struct writing *writing = arg;
    const struct bind_note *note =
        bind_note_find(writing->notes, NOTE_LITERAL, literal->node.location, 0);
    return note == NULL ? NULL : type_text(writing, note->type);
}

static const char *
write_operand_type(void *arg, const struct ast_node *operand)
{
    const struct writing *writing = arg;
    if (operand->kind != AST_COLUMN && operand->kind != AST_CONST) {
        return NULL;
    }
    const struct bind_note *note =
        bind_note_find(writing->notes, NOTE_OPERAND, operand->location, 0);
    return note == NULL ? NULL : type_text(writing, note->type);
}

static const char *
write_type(void *arg, const struct ast_type *type)
{
    const struct writing *writing = arg;
    const struct bind_note *note =
        bind_note_find(writing->notes, NOTE_TYPE, type->node.location, 0);
    return note != NULL ? type_text(writing, note->type)
                        : catalog_type_text(&writing->env, writing->arena, type);
}

static const char *
write_target_name(void *arg, const struct ast_node *value)
{
    (void)arg;
    return bind_column_name(value);
}

static void
add_use(struct view_definition *definition, struct arena *arena, oid_t relation, uint32_t column)
{
    for (uint32_t i = 0; i < definition->use_count; i++) {
        if (definition->uses[i].relation == relation && definition->uses[i].column == column) {
            return;
        }
    }
    if (definition->use_count == definition->use_capacity) {
        uint32_t wanted = definition->use_capacity == 0 ? 16 : definition->use_capacity * 2;
        struct view_use *bigger = arena_alloc_raw(arena, wanted * sizeof *bigger);
        if (definition->use_count > 0) {
            memcpy(bigger, definition->uses, definition->use_count * sizeof *bigger);
        }
        definition->uses = bigger;
        definition->use_capacity = wanted;
    }
    definition->uses[definition->use_count++] =
        (struct view_use){.relation = relation, .column = column};
}

static void
note_uses(struct view_definition *definition, struct arena *arena, const struct bind_notes *notes)
{
    for (uint32_t i = 0; i < notes->count; i++) {
        const struct bind_note *note = &notes->items[i];
        if (note->type >= TYPE_USER_FIRST) {
            add_use(definition, arena, note->type & ~(oid_t)1, 0);
        }
        if (note->kind == NOTE_TABLE) {
            add_use(definition, arena, note->relation->oid, 0);
        } else if (note->kind == NOTE_COLUMN && note->relation != NULL) {
            add_use(definition, arena, note->relation->oid, note->number + 1);
        }
    }
}

/* Kept names are read back under any search path. */
static const char *const nowhere[] = {NULL};

enum err
plan_describe_view(struct task *task, struct plan_context *context, const struct ast_select *query,
    const struct view_rename *rename, struct view_definition *definition)
{
    struct binder binder;
    struct bind_notes notes = {0};
    *definition = (struct view_definition){0};
    bind_start(&binder, task, context);
    binder.notes = &notes;
    struct query *bound;
    TRY(bind_select(&binder, NULL, query, &bound));
    TRY(bind_finish_params(&binder));
    definition->column_count = bound->column_count;
    definition->columns =
        arena_alloc(context->arena, (bound->column_count + 1) * sizeof *definition->columns);
    for (uint32_t i = 0; i < bound->column_count; i++) {
        const struct target *target = &bound->targets[i];
        definition->columns[i] = (struct plan_column){.name = target->name,
            .type = target->expr->type,
            .typmod = target->expr->typmod,
            .domain = target->expr->domain};
    }
    note_uses(definition, context->arena, &notes);
    struct writing writing = {.arena = context->arena,
        .env = {.catalog = context->catalog, .search_path = nowhere},
        .notes = &notes,
        .rename = rename};
    struct parser_deparse style = {.arena = context->arena,
        .keep = true,
        .arg = &writing,
        .table = write_table,
        .column = write_column,
        .star = write_star,
        .type = write_type,
        .literal = write_literal,
        .literal_type = write_literal_type,
        .operand_type = write_operand_type,
        .target_name = write_target_name};
    struct buffer text = {0};
    parser_deparse_query(&style, query, &text);
    definition->text = arena_strndup(context->arena, (const char *)text.data, text.size);
    buffer_destroy(&text);
    return ERR_OK;
}

/* An expression over one table or none, as definitions are kept. */
static const char *
kept_text(struct plan_context *context, const struct bind_notes *notes, const struct ast_node *node)
{
    struct writing writing = {.arena = context->arena,
        .env = {.catalog = context->catalog, .search_path = nowhere},
        .notes = notes};
    struct parser_deparse style = {.arena = context->arena,
        .keep = true,
        .arg = &writing,
        .column = write_bare_column,
        .type = write_type,
        .literal_type = write_literal_type,
        .operand_type = write_operand_type};
    struct buffer to = {0};
    parser_deparse_expression(&style, node, &to);
    const char *text = arena_strndup(context->arena, (const char *)to.data, to.size);
    buffer_destroy(&to);
    return text;
}

enum err
plan_describe_index(struct task *task, struct plan_context *context, const struct ast_node *node,
    const struct relation *relation, bool predicate, const char **text, struct expr **expr)
{
    struct binder binder;
    struct bind_notes notes = {0};
    bind_start(&binder, task, context);
    binder.notes = &notes;
    struct query none = {0};
    struct scope *scope = scope_new(&binder, NULL, &none);
    vec_add(context->arena, &scope->items, item_for_relation(&binder, NULL, relation, 0));
    binder.next_reg = relation->column_count;
    scope->clause = predicate ? CLAUSE_INDEX_PREDICATE : CLAUSE_INDEX;
    TRY(bind_expr(&binder, scope, node, expr));
    TRY(predicate ? bind_to_boolean(&binder, expr, "WHERE")
                  : bind_to_text_if_unknown(&binder, expr));
    TRY(bind_finish_params(&binder));
    *text = kept_text(context, &notes, node);
    return ERR_OK;
}

enum err
plan_keep_expression(struct task *task, struct plan_context *context,
    const struct relation *relation, oid_t type, int32_t typmod, const char **text)
{
    struct binder binder;
    struct bind_notes notes = {0};
    struct ast_node *node;
    struct expr *expr;
    TRY(parser_parse_expression(context->arena, *text, strlen(*text), &node, context->diag));
    bind_start(&binder, task, context);
    binder.notes = &notes;
    struct query none = {0};
    struct scope *scope = scope_new(&binder, NULL, &none);
    if (relation != NULL) {
        vec_add(context->arena, &scope->items, item_for_relation(&binder, NULL, relation, 0));
        binder.next_reg = relation->column_count;
    }
    scope->clause = relation != NULL ? CLAUSE_CHECK : CLAUSE_DEFAULT;
    TRY(bind_expr(&binder, scope, node, &expr));
    TRY(bind_definition(&binder, &expr, relation, type, typmod));
    *text = kept_text(context, &notes, node);
    return ERR_OK;
}
