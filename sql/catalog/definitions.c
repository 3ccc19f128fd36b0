/* sql/catalog/definitions.c - objects back to the SQL that would make them. */
#include "parser/parser.h"
#include "sql/catalog/catalog_internal.h"

static void
add_column(struct arena *arena, const struct relation *table, const struct index *index,
    uint16_t at, struct buffer *to)
{
    buffer_add_text(to, parser_quote_ident(arena, table->columns[index->columns[at]].name));
    bool descending = (index->flags[at] & KEY_DESCENDING) != 0;
    bool nulls_first = (index->flags[at] & KEY_NULLS_FIRST) != 0;
    if (descending) {
        buffer_add_text(to, " DESC");
    }
    if (nulls_first != descending) {
        buffer_add_text(to, nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
}

static char *
finish(struct arena *arena, struct buffer *buffer)
{
    char *text = arena_strndup(arena, (const char *)buffer->data, buffer->size);
    buffer_destroy(buffer);
    return text;
}

char *
catalog__index_definition(struct arena *arena, const struct relation *table,
    const struct index *index, int column, bool pretty)
{
    if (column > 0) {
        return column > index->column_count
                   ? arena_strdup(arena, "")
                   : parser_quote_ident(arena, table->columns[index->columns[column - 1]].name);
    }
    struct buffer to = {0};
    buffer_printf(&to, "CREATE %sINDEX %s ON ", index->unique ? "UNIQUE " : "",
        parser_quote_ident(arena, index->name));
    if (!pretty || table->schema != NAMESPACE_PUBLIC) {
        buffer_printf(&to, "%s.", parser_quote_ident(arena, table->schema_name));
    }
    buffer_printf(&to, "%s USING btree (", parser_quote_ident(arena, table->name));
    for (uint16_t i = 0; i < index->column_count; i++) {
        buffer_add_text(&to, i == 0 ? "" : ", ");
        add_column(arena, table, index, i, &to);
    }
    buffer_add_text(&to, ")");
    return finish(arena, &to);
}

char *
catalog__key_definition(
    struct arena *arena, const struct relation *table, const struct index *index)
{
    struct buffer to = {0};
    buffer_add_text(&to, index->primary ? "PRIMARY KEY (" : "UNIQUE (");
    for (uint16_t i = 0; i < index->column_count; i++) {
        buffer_printf(&to, "%s%s", i == 0 ? "" : ", ",
            parser_quote_ident(arena, table->columns[index->columns[i]].name));
    }
    buffer_add_text(&to, ")");
    return finish(arena, &to);
}

char *
catalog__constraint_definition(struct arena *arena, const struct catalog *catalog, oid_t constraint)
{
    const struct relation *table;
    const struct index *index = catalog_index_by_oid(catalog, constraint, &table);
    if (index != NULL) {
        return index->constraint ? catalog__key_definition(arena, table, index) : NULL;
    }
    for (size_t i = 0; (table = catalog_relation_at(catalog, i)) != NULL; i++) {
        for (uint16_t c = 0; c < table->check_count; c++) {
            if (table->checks[c].oid == constraint) {
                return arena_printf(arena, "CHECK (%s)", table->checks[c].text);
            }
        }
    }
    return NULL;
}
