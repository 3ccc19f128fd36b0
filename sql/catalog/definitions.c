/* sql/catalog/definitions.c - objects back to the SQL that would make them. */
#include "parser/deparse.h"
#include "parser/parser.h"
#include "sql/catalog/catalog_internal.h"
#include "sql/catalog/foreign_key.h"

static char *
finish(struct arena *arena, struct buffer *buffer)
{
    char *text = arena_strndup(arena, (const char *)buffer->data, buffer->size);
    buffer_destroy(buffer);
    return text;
}

struct showing_types {
    const struct eval_env *env; /* NULL: types of users stay as they are written */
    struct arena *arena;
};

static const char *
show_type_name(void *arg, const struct ast_type *type)
{
    const struct showing_types *showing = arg;
    return catalog_type_text(showing->env, showing->arena, type);
}

const char *
catalog_expression_text(
    const struct eval_env *env, struct arena *arena, const char *text, bool pretty, bool *is_call)
{
    struct showing_types showing = {.env = env, .arena = arena};
    struct ast_node *expr = NULL;
    struct diag diag = {0};
    *is_call = false;
    if (parser_parse_expression(arena, text, strlen(text), &expr, &diag) != ERR_OK) {
        return text;
    }
    *is_call = expr->kind == AST_CALL || expr->kind == AST_LIST_CALL || expr->kind == AST_SQL_VALUE;
    struct parser_deparse style = {
        .arena = arena, .pretty = pretty, .arg = &showing, .type = show_type_name};
    struct buffer to = {0};
    parser_deparse_expression(&style, expr, &to);
    return finish(arena, &to);
}

static const char *
shown(const struct eval_env *env, struct arena *arena, const char *text, bool pretty)
{
    bool is_call;
    return catalog_expression_text(env, arena, text, pretty, &is_call);
}

static const char *
show_value(void *arg, const struct ast_column *column)
{
    (void)arg;
    (void)column;
    return "VALUE";
}

char *
catalog__domain_check_text(
    const struct eval_env *env, struct arena *arena, const struct check *check, bool pretty)
{
    struct showing_types showing = {.env = env, .arena = arena};
    struct ast_node *expr = NULL;
    struct diag diag = {0};
    if (parser_parse_expression(arena, check->text, strlen(check->text), &expr, &diag) != ERR_OK) {
        return arena_strdup(arena, check->text);
    }
    struct parser_deparse style = {.arena = arena,
        .pretty = pretty,
        .arg = &showing,
        .type = show_type_name,
        .column = show_value};
    struct buffer to = {0};
    parser_deparse_expression(&style, expr, &to);
    return finish(arena, &to);
}

const char *
catalog_index_column_text(const struct eval_env *env, struct arena *arena,
    const struct relation *table, const struct index *index, uint16_t at, bool pretty)
{
    uint16_t column = index->columns[at];
    if (column < INDEX_DERIVED) {
        return parser_quote_ident(arena, table->columns[column].name);
    }
    bool is_call;
    const char *text = catalog_expression_text(
        env, arena, table->derived[column - INDEX_DERIVED].text, pretty, &is_call);
    return is_call ? text : arena_printf(arena, "(%s)", text);
}

static void
add_column(const struct eval_env *env, struct arena *arena, const struct relation *table,
    const struct index *index, uint16_t at, bool pretty, struct buffer *to)
{
    buffer_add_text(to, catalog_index_column_text(env, arena, table, index, at, pretty));
    bool descending = (index->flags[at] & KEY_DESCENDING) != 0;
    bool nulls_first = (index->flags[at] & KEY_NULLS_FIRST) != 0;
    if (descending) {
        buffer_add_text(to, " DESC");
    }
    if (nulls_first != descending) {
        buffer_add_text(to, nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
}

/* INCLUDE (..). */
static void
add_included(
    struct arena *arena, const struct relation *table, const struct index *index, struct buffer *to)
{
    for (uint16_t i = 0; i < index->included_count; i++) {
        buffer_printf(to, "%s%s", i == 0 ? " INCLUDE (" : ", ",
            parser_quote_ident(
                arena, table->columns[index->columns[index->column_count + i]].name));
    }
    buffer_add_text(to, index->included_count > 0 ? ")" : "");
}

char *
catalog__index_definition(const struct eval_env *env, struct arena *arena,
    const struct relation *table, const struct index *index, int column, bool pretty)
{
    if (column > 0) {
        const char *text = column > index->column_count + index->included_count
                               ? ""
                               : catalog_index_column_text(
                                     env, arena, table, index, (uint16_t)(column - 1), pretty);
        return arena_strdup(arena, text);
    }
    struct buffer to = {0};
    buffer_printf(&to, "CREATE %sINDEX %s ON ", index->unique ? "UNIQUE " : "",
        parser_quote_ident(arena, index->name));
    if (!pretty || strcmp(table->schema_name, "public") != 0) {
        buffer_printf(&to, "%s.", parser_quote_ident(arena, table->schema_name));
    }
    buffer_printf(&to, "%s USING btree (", parser_quote_ident(arena, table->name));
    for (uint16_t i = 0; i < index->column_count; i++) {
        buffer_add_text(&to, i == 0 ? "" : ", ");
        add_column(env, arena, table, index, i, pretty, &to);
    }
    buffer_add_text(&to, ")");
    add_included(arena, table, index, &to);
    buffer_add_text(&to, index->nulls_not_distinct ? " NULLS NOT DISTINCT" : "");
    if (index->partial > 0) {
        bool is_call;
        buffer_printf(&to, " WHERE %s",
            catalog_expression_text(
                env, arena, table->derived[index->partial - 1].text, pretty, &is_call));
    }
    return finish(arena, &to);
}

char *
catalog__key_definition(
    struct arena *arena, const struct relation *table, const struct index *index)
{
    struct buffer to = {0};
    buffer_printf(&to, "%s %s(", index->primary ? "PRIMARY KEY" : "UNIQUE",
        index->nulls_not_distinct ? "NULLS NOT DISTINCT " : "");
    for (uint16_t i = 0; i < index->column_count; i++) {
        buffer_printf(&to, "%s%s", i == 0 ? "" : ", ",
            parser_quote_ident(arena, table->columns[index->columns[i]].name));
    }
    buffer_add_text(&to, ")");
    add_included(arena, table, index, &to);
    return finish(arena, &to);
}

static void
add_names(struct arena *arena, const struct relation *table, const uint16_t *columns,
    uint16_t count, struct buffer *to)
{
    for (uint16_t i = 0; i < count; i++) {
        buffer_printf(to, "%s%s", i == 0 ? "(" : ", ",
            parser_quote_ident(arena, table->columns[columns[i]].name));
    }
    buffer_add_text(to, ")");
}

static void
add_action(struct buffer *to, const char *when, char action)
{
    if (action != FOREIGN_NO_ACTION) {
        buffer_printf(to, " %s %s", when, foreign_key_action_words(action));
    }
}

static char *
foreign_key_definition(struct arena *arena, const struct catalog *catalog,
    const char *const *search_path, const struct foreign_key *key)
{
    struct buffer to = {0};
    const struct relation *other = key->referenced_table;
    buffer_add_text(&to, "FOREIGN KEY ");
    add_names(arena, key->table, key->columns, key->column_count, &to);
    buffer_add_text(&to, " REFERENCES ");
    if (catalog_relation_on(catalog, search_path, NULL, other->name) != other) {
        buffer_printf(&to, "%s.", parser_quote_ident(arena, other->schema_name));
    }
    buffer_add_text(&to, parser_quote_ident(arena, other->name));
    add_names(arena, other, key->referenced_columns, key->column_count, &to);
    buffer_add_text(&to, key->full ? " MATCH FULL" : "");
    add_action(&to, "ON UPDATE", key->on_update);
    add_action(&to, "ON DELETE", key->on_delete);
    if (key->set_count > 0) {
        buffer_add_text(&to, " ");
        add_names(arena, key->table, key->set_columns, key->set_count, &to);
    }
    buffer_add_text(&to, key->deferrable ? " DEFERRABLE" : "");
    buffer_add_text(&to, key->initially_deferred ? " INITIALLY DEFERRED" : "");
    buffer_add_text(&to, key->valid ? "" : " NOT VALID");
    return finish(arena, &to);
}

char *
catalog__constraint_definition(
    const struct eval_env *env, struct arena *arena, oid_t constraint, bool pretty)
{
    const struct catalog *catalog = env->catalog;
    const struct relation *table;
    const struct index *index = catalog_index_by_oid(catalog, constraint, &table);
    if (index != NULL) {
        return index->constraint ? catalog__key_definition(arena, table, index) : NULL;
    }
    for (size_t i = 0; (table = catalog_relation_at(catalog, i)) != NULL; i++) {
        for (uint16_t c = 0; c < table->check_count; c++) {
            if (table->checks[c].oid == constraint) {
                return arena_printf(arena, "CHECK (%s)%s",
                    shown(env, arena, table->checks[c].text, pretty),
                    table->checks[c].not_valid ? " NOT VALID" : "");
            }
        }
    }
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(catalog, i)) != NULL; i++) {
        for (uint16_t c = 0; c < type->check_count; c++) {
            if (type->checks[c].oid == constraint) {
                return arena_printf(arena, "CHECK (%s)%s",
                    catalog__domain_check_text(env, arena, &type->checks[c], pretty),
                    type->checks[c].not_valid ? " NOT VALID" : "");
            }
        }
    }
    const struct foreign_key *key = catalog_foreign_key(catalog, constraint);
    return key == NULL ? NULL : foreign_key_definition(arena, catalog, env->search_path, key);
}

/* ---- views ----------------------------------------------------------------------------------- */

enum {
    MODIFIERS_MAX = 8,
};

const char *
catalog_type_text(const struct eval_env *env, struct arena *arena, const struct ast_type *type)
{
    const struct type *found = type_named(env, type->schema, type->name);
    if (found == NULL || type->setof || type->percent_type) {
        return NULL;
    }
    oid_t oid = found->oid;
    if (type->array_dimensions > 0) {
        oid = found->array_oid;
    }
    int32_t numbers[MODIFIERS_MAX];
    uint32_t count = 0;
    AST_FOREACH(at, type->modifiers)
    {
        bool number = (*at)->kind == AST_CONST && ast_as_const(*at)->kind == AST_CONST_INTEGER;
        if (!number || count == MODIFIERS_MAX) {
            return NULL;
        }
        numbers[count++] = (int32_t)ast_as_const(*at)->integer;
    }
    int32_t typmod = -1;
    struct diag diag = {0};
    if (count > 0 || type->interval_fields != 0) {
        enum err err =
            found->oid == TYPE_INTERVAL
                ? type_make_interval_typmod(type->interval_fields, numbers, count, &typmod, &diag)
                : type_make_typmod(found->oid, numbers, count, &typmod, &diag);
        if (err != ERR_OK) {
            return NULL;
        }
    }
    return oid == 0 ? NULL : type_format(env, arena, oid, typmod);
}

struct showing {
    struct arena *arena;
    const struct catalog *catalog;
    const char *const *search_path;
};

static const char *
show_table(void *arg, const struct ast_table *table)
{
    const struct showing *showing = arg;
    if (table->schema == NULL) {
        return NULL;
    }
    const struct relation *named = catalog_relation(showing->catalog, table->schema, table->name);
    const struct relation *seen =
        catalog_relation_on(showing->catalog, showing->search_path, NULL, table->name);
    return named != NULL && named == seen ? parser_quote_ident(showing->arena, table->name) : NULL;
}

static const char *
show_type(void *arg, const struct ast_type *type)
{
    const struct showing *showing = arg;
    const struct eval_env env = {.catalog = showing->catalog, .search_path = showing->search_path};
    return catalog_type_text(&env, showing->arena, type);
}

const char *
catalog_view_definition(struct arena *arena, const struct catalog *catalog,
    const char *const *search_path, const struct relation *view, bool pretty)
{
    if (view->view_text == NULL) {
        return NULL;
    }
    struct ast_list *statements;
    struct diag diag = {0};
    enum err err =
        parser_parse(arena, view->view_text, strlen(view->view_text), &statements, &diag);
    const struct ast_node *body = err != ERR_OK || ast_list_count(statements) != 1
                                      ? NULL
                                      : ast_as_statement(ast_list_at(statements, 0))->body;
    if (body == NULL || body->kind != AST_SELECT) {
        return view->view_text;
    }
    struct showing showing = {.arena = arena, .catalog = catalog, .search_path = search_path};
    const char **names = arena_array(arena, view->column_count, sizeof *names);
    for (uint16_t i = 0; i < view->column_count; i++) {
        names[i] = view->columns[i].name;
    }
    struct parser_deparse style = {.names = names,
        .name_count = view->column_count,

        .arena = arena,
        .pretty = pretty,
        .arg = &showing,
        .table = show_table,
        .type = show_type};
    struct buffer to = {0};
    parser_deparse_query(&style, ast_as_select(body), &to);
    buffer_add_u8(&to, ';');
    return finish(arena, &to);
}
