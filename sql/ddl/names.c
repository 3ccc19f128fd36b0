/* sql/ddl/names.c - the names PostgreSQL gives to what was not named. */
#include <stdio.h>

#include "sql/ddl/ddl_internal.h"

/* Bytes of name that can stay without cutting a character. */
static size_t
clip(const char *name, size_t size)
{
    while (size > 0 && ((unsigned char)name[size] & 0xC0) == 0x80) {
        size--;
    }
    return size;
}

char *
ddl__object_name(struct arena *arena, const char *table, const char *columns, const char *label)
{
    size_t overhead = (columns != NULL ? 1 : 0) + (label != NULL ? 1 + strlen(label) : 0);
    size_t table_size = strlen(table);
    size_t columns_size = columns == NULL ? 0 : strlen(columns);
    while (table_size + columns_size + overhead > NAME_MAX_BYTES) {
        if (table_size > columns_size) {
            table_size--;
        } else {
            columns_size--;
        }
    }
    table_size = clip(table, table_size);
    if (columns == NULL) {
        return arena_printf(arena, "%.*s%s%s", (int)table_size, table, label == NULL ? "" : "_",
            label == NULL ? "" : label);
    }
    columns_size = clip(columns, columns_size);
    return arena_printf(arena, "%.*s_%.*s%s%s", (int)table_size, table, (int)columns_size, columns,
        label == NULL ? "" : "_", label == NULL ? "" : label);
}

static bool
name_is_free(struct ddl *ddl, const struct ddl__edit *edit, const char *name, bool is_relation)
{
    if (ddl__constraint_exists(&edit->relation, name)) {
        return false;
    }
    if (!is_relation) {
        return true;
    }
    for (uint16_t i = 0; i < edit->relation.index_count; i++) {
        if (edit->indexes[i].name != NULL && strcmp(edit->indexes[i].name, name) == 0) {
            return false;
        }
    }
    const struct relation *relation;
    const struct index *index;
    ddl__in_schema(ddl, edit->relation.schema_name, name, &relation, &index);
    return relation == NULL && strcmp(edit->relation.name, name) != 0;
}

char *
ddl__choose_name(struct ddl *ddl, const struct ddl__edit *edit, const char *columns,
    const char *label, bool is_relation)
{
    char numbered[32];
    for (unsigned pass = 0;; pass++) {
        if (pass == 0) {
            snprintf(numbered, sizeof numbered, "%s", label);
        } else {
            snprintf(numbered, sizeof numbered, "%s%u", label, pass);
        }
        char *name = ddl__object_name(ddl->arena, edit->relation.name, columns, numbered);
        if (name_is_free(ddl, edit, name, is_relation)) {
            return name;
        }
    }
}

char *
ddl__column_part(
    struct arena *arena, const struct relation *relation, const uint16_t *columns, uint16_t count)
{
    char *part = arena_strdup(arena, "");
    for (uint16_t i = 0; i < count && strlen(part) <= NAME_MAX_BYTES; i++) {
        const char *name = columns[i] < INDEX_DERIVED
                               ? relation->columns[columns[i]].name
                               : relation->derived[columns[i] - INDEX_DERIVED].name;
        part = arena_printf(arena, "%s%s%s", part, i == 0 ? "" : "_", name);
    }
    return part;
}
