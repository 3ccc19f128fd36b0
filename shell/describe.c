/*
 * shell/describe.c - \d and its kin: what the catalog says, in psql's looks.
 *
 * The queries are plain joins over pg_catalog, so that any server that has these tables answers
 * them; what psql does with arrays, regular expressions and subqueries is done here instead.
 */
#include <string.h>

#include "base/mem.h"
#include "shell/shell.h"

/* ---- patterns -------------------------------------------------------------------------------- */

/* One part of schema.name as a condition on `column`. Unquoted letters are folded; * and ? are
 * wildcards outside of quotes. */
static void
add_condition(struct buffer *query, const char *column, const char *part, size_t size)
{
    struct buffer text = {0};
    bool wild = false;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = part[i];
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (!quoted && (c == '*' || c == '?')) {
            wild = true;
        }
    }
    quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = part[i];
        if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == '*' || c == '?')) {
            buffer_add_u8(&text, c == '*' ? '%' : '_');
        } else if (c == '\'') {
            buffer_add_text(&text, "''");
        } else if (wild && (c == '%' || c == '_' || c == '\\')) {
            buffer_add_u8(&text, '\\');
            buffer_add_u8(&text, (uint8_t)c);
        } else {
            bool fold = !quoted && c >= 'A' && c <= 'Z';
            buffer_add_u8(&text, (uint8_t)(fold ? c + 32 : c));
        }
    }
    buffer_printf(query, " AND %s %s '%.*s'", column, wild ? "LIKE" : "=", (int)text.size,
        (const char *)text.data);
    buffer_destroy(&text);
}

/* `name`: the column that a pattern without a schema is about; `visible`: then also true. */
static void
add_pattern(struct buffer *query, const char *pattern, const char *name, const char *visible)
{
    const char *dot = NULL;
    bool quoted = false;
    for (const char *at = pattern; *at != '\0'; at++) {
        quoted = *at == '"' ? !quoted : quoted;
        if (*at == '.' && !quoted) {
            dot = at;
        }
    }
    if (dot == NULL) {
        add_condition(query, name, pattern, strlen(pattern));
        buffer_printf(query, " AND %s", visible);
        return;
    }
    add_condition(query, "n.nspname", pattern, (size_t)(dot - pattern));
    add_condition(query, name, dot + 1, strlen(dot + 1));
}

static void
add_relation_pattern(struct buffer *query, const char *pattern)
{
    add_pattern(query, pattern, "c.relname", "pg_catalog.pg_table_is_visible(c.oid)");
}

/* ---- small helpers --------------------------------------------------------------------------- */

static bool
fetch(struct shell *shell, struct buffer *query, struct arena *arena, struct print_table *table)
{
    buffer_add_u8(query, 0);
    bool ok = shell_fetch(shell, (const char *)query->data, arena, table, false);
    query->size = 0;
    return ok;
}

/* A cell's text; NULL and absent cells are "". */
static const char *
cell(const struct print_table *table, size_t row, size_t column)
{
    struct slice bytes = table->cells[row * table->column_count + column];
    return bytes.data == NULL ? ""
                              : arena_strndup(table->arena, (const char *)bytes.data, bytes.size);
}

static bool
is_true(const struct print_table *table, size_t row, size_t column)
{
    return cell(table, row, column)[0] == 't';
}

static void
show(const struct shell *shell, const struct print_table *table)
{
    struct print_options options = shell->print;
    options.expanded = PRINT_EXPANDED_OFF;
    options.null_text = "";
    print_table(shell->output.file, table, &options);
    (void)fflush(shell->output.file);
}

static void
set_columns(struct print_table *table, const char *const *names, size_t count)
{
    table->column_count = count;
    table->columns = arena_array(table->arena, count, sizeof *table->columns);
    for (size_t i = 0; i < count; i++) {
        table->columns[i].name = names[i];
    }
}

#define TYPE_OF_RELATION                                                                \
    "CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' "                        \
    "WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' " \
    "WHEN 't' THEN 'TOAST table' WHEN 'f' THEN 'foreign table' "                        \
    "WHEN 'p' THEN 'partitioned table' WHEN 'I' THEN 'partitioned index' END"

/* ---- lists ----------------------------------------------------------------------------------- */

static bool
list_relations(struct shell *shell, const char *what, const char *pattern)
{
    struct buffer query = {0};
    struct arena arena;
    struct print_table table;
    bool indexes = strcmp(what, "di") == 0;
    const char *kinds = indexes                   ? "'i', 'I'"
                        : strcmp(what, "dt") == 0 ? "'r', 'p'"
                        : strcmp(what, "dv") == 0 ? "'v'"
                        : strcmp(what, "ds") == 0 ? "'S'"
                        : strcmp(what, "dm") == 0 ? "'m'"
                                                  : "'r', 'p', 'v', 'm', 'S', 'f'";
    buffer_printf(&query,
        "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", " TYPE_OF_RELATION " AS \"Type\", "
        "pg_catalog.pg_get_userbyid(c.relowner) AS \"Owner\"%s FROM pg_catalog.pg_class c "
        "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace%s "
        "WHERE c.relkind IN (%s)",
        indexes ? ", c2.relname AS \"Table\"" : "",
        indexes ? " LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid "
                  "LEFT JOIN pg_catalog.pg_class c2 ON i.indrelid = c2.oid"
                : "",
        kinds);
    if (pattern != NULL) {
        add_relation_pattern(&query, pattern);
    } else {
        buffer_add_text(&query,
            " AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' "
            "AND n.nspname NOT LIKE 'pg\\_toast%' AND pg_catalog.pg_table_is_visible(c.oid)");
    }
    buffer_add_text(&query, " ORDER BY 1, 2");
    arena_create(&arena, "describe");
    bool ok = fetch(shell, &query, &arena, &table);
    if (ok && table.row_count == 0) {
        if (pattern != NULL) {
            shell_error(shell, "Did not find any relation named \"%s\".", pattern);
        } else {
            shell_error(shell, "Did not find any relations.");
        }
    } else if (ok) {
        table.title = "List of relations";
        show(shell, &table);
    }
    arena_destroy(&arena);
    buffer_destroy(&query);
    return ok;
}

static bool
list_simple(struct shell *shell, const char *title, struct buffer *query)
{
    struct arena arena;
    struct print_table table;
    arena_create(&arena, "describe");
    bool ok = fetch(shell, query, &arena, &table);
    if (ok) {
        table.title = title;
        show(shell, &table);
    }
    arena_destroy(&arena);
    buffer_destroy(query);
    return ok;
}

static bool
list_schemas(struct shell *shell, const char *pattern)
{
    struct buffer query = {0};
    buffer_add_text(&query, "SELECT n.nspname AS \"Name\", "
                            "pg_catalog.pg_get_userbyid(n.nspowner) AS \"Owner\" "
                            "FROM pg_catalog.pg_namespace n WHERE true");
    if (pattern != NULL) {
        add_condition(&query, "n.nspname", pattern, strlen(pattern));
    } else {
        buffer_add_text(
            &query, " AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'");
    }
    buffer_add_text(&query, " ORDER BY 1");
    return list_simple(shell, "List of schemas", &query);
}

/* Objects in schemas: without a pattern, those of the user that need no schema's name. */
static void
add_user_objects(struct buffer *query, const char *pattern, const char *name, const char *visible)
{
    if (pattern != NULL) {
        add_pattern(query, pattern, name, visible);
    } else {
        buffer_printf(query,
            " AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' AND %s", visible);
    }
}

static bool
list_functions(struct shell *shell, const char *pattern)
{
    struct buffer query = {0};
    buffer_add_text(&query,
        "SELECT n.nspname AS \"Schema\", p.proname AS \"Name\", "
        "pg_catalog.pg_get_function_result(p.oid) AS \"Result data type\", "
        "pg_catalog.pg_get_function_arguments(p.oid) AS \"Argument data types\", "
        "CASE p.prokind WHEN 'a' THEN 'agg' WHEN 'w' THEN 'window' WHEN 'p' THEN 'proc' "
        "ELSE 'func' END AS \"Type\" FROM pg_catalog.pg_proc p "
        "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE true");
    add_user_objects(&query, pattern, "p.proname", "pg_catalog.pg_function_is_visible(p.oid)");
    buffer_add_text(&query, " ORDER BY 1, 2, 4");
    return list_simple(shell, "List of functions", &query);
}

/* Without arrays and the row types of tables. */
static bool
list_types(struct shell *shell, const char *pattern)
{
    struct buffer query = {0};
    buffer_add_text(&query,
        "SELECT n.nspname AS \"Schema\", pg_catalog.format_type(t.oid, NULL) AS \"Name\", "
        "pg_catalog.obj_description(t.oid, 'pg_type') AS \"Description\" "
        "FROM pg_catalog.pg_type t "
        "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
        "LEFT JOIN pg_catalog.pg_type el ON el.oid = t.typelem AND el.typarray = t.oid "
        "WHERE t.typrelid = 0 AND el.oid IS NULL");
    add_user_objects(&query, pattern, "t.typname", "pg_catalog.pg_type_is_visible(t.oid)");
    buffer_add_text(&query, " ORDER BY 1, 2");
    return list_simple(shell, "List of data types", &query);
}

static bool
list_privileges(struct shell *shell, const char *pattern)
{
    struct buffer query = {0};
    buffer_add_text(&query,
        "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", " TYPE_OF_RELATION " AS \"Type\", "
        "pg_catalog.array_to_string(c.relacl, E'\\n') AS \"Access privileges\", "
        "pg_catalog.array_to_string(ARRAY(SELECT attname || E':\\n  ' || "
        "pg_catalog.array_to_string(attacl, E'\\n  ') FROM pg_catalog.pg_attribute a "
        "WHERE attrelid = c.oid AND NOT attisdropped AND attacl IS NOT NULL), E'\\n') "
        "AS \"Column privileges\", NULL::text AS \"Policies\" "
        "FROM pg_catalog.pg_class c "
        "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r','v','m','S','f','p')");
    add_user_objects(&query, pattern, "c.relname", "pg_catalog.pg_table_is_visible(c.oid)");
    buffer_add_text(&query, " ORDER BY 1, 2");
    return list_simple(shell, "Access privileges", &query);
}

static bool
list_extensions(struct shell *shell, const char *pattern)
{
    struct buffer query = {0};
    buffer_add_text(&query,
        "SELECT e.extname AS \"Name\", e.extversion AS \"Version\", n.nspname AS \"Schema\", "
        "c.description AS \"Description\" FROM pg_catalog.pg_extension e "
        "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace "
        "LEFT JOIN pg_catalog.pg_description c ON c.objoid = e.oid "
        "AND c.classoid = 'pg_catalog.pg_extension'::pg_catalog.regclass WHERE true");
    if (pattern != NULL) {
        add_condition(&query, "e.extname", pattern, strlen(pattern));
    }
    buffer_add_text(&query, " ORDER BY 1");
    return list_simple(shell, "List of installed extensions", &query);
}

static bool
list_domains(struct shell *shell, const char *pattern)
{
    struct buffer query = {0};
    buffer_add_text(&query,
        "SELECT n.nspname AS \"Schema\", t.typname AS \"Name\", "
        "pg_catalog.format_type(t.typbasetype, t.typtypmod) AS \"Type\", "
        "NULL::text AS \"Collation\", "
        "CASE WHEN t.typnotnull THEN 'not null' END AS \"Nullable\", t.typdefault AS \"Default\", "
        "pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.pg_get_constraintdef(r.oid, true) "
        "FROM pg_catalog.pg_constraint r WHERE t.oid = r.contypid), ' ') AS \"Check\" "
        "FROM pg_catalog.pg_type t "
        "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'd'");
    add_user_objects(&query, pattern, "t.typname", "pg_catalog.pg_type_is_visible(t.oid)");
    buffer_add_text(&query, " ORDER BY 1, 2");
    return list_simple(shell, "List of domains", &query);
}

/* Names are taken as SQL would take them. */
static void
add_quoted(struct buffer *query, const char *text)
{
    buffer_add_u8(query, '\'');
    for (; *text != '\0'; text++) {
        buffer_add_u8(query, (uint8_t)*text);
        if (*text == '\'') {
            buffer_add_u8(query, (uint8_t)*text);
        }
    }
    buffer_add_u8(query, '\'');
}

bool
show_source(struct shell *shell, bool view, const char *name)
{
    struct buffer query = {0};
    struct arena arena;
    struct print_table found;
    arena_create(&arena, "source");
    if (view) {
        buffer_add_text(&query,
            "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), "
            "c.relkind, CASE c.relkind WHEN 'v' THEN pg_catalog.pg_get_viewdef(c.oid, true) END "
            "FROM pg_catalog.pg_class c "
            "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ");
        add_quoted(&query, name);
        buffer_add_text(&query, "::pg_catalog.regclass");
    } else {
        buffer_add_text(&query, "SELECT '', 'f', pg_catalog.pg_get_functiondef(");
        add_quoted(&query, name);
        buffer_add_text(&query,
            strchr(name, '(') == NULL ? "::pg_catalog.regproc)" : "::pg_catalog.regprocedure)");
    }
    bool ok = fetch(shell, &query, &arena, &found);
    if (ok && (found.row_count == 0 || (view && cell(&found, 0, 1)[0] != 'v'))) {
        shell_error(
            shell, "\"%s\" is not a view", found.row_count == 0 ? name : cell(&found, 0, 0));
        ok = false;
    }
    if (ok) {
        const char *text = cell(&found, 0, 2);
        size_t size = strlen(text);
        size -= size > 0 && text[size - 1] == '\n' ? 1 : 0;
        size -= view && size > 0 && text[size - 1] == ';' ? 1 : 0;
        if (view) {
            (void)fprintf(shell->output.file, "CREATE OR REPLACE VIEW %s AS\n", cell(&found, 0, 0));
        }
        (void)fprintf(shell->output.file, "%.*s\n", (int)size, text);
        (void)fflush(shell->output.file);
    }
    arena_destroy(&arena);
    buffer_destroy(&query);
    return ok;
}

bool
describe_databases(struct shell *shell)
{
    struct buffer query = {0};
    buffer_add_text(&query,
        "SELECT d.datname AS \"Name\", pg_catalog.pg_get_userbyid(d.datdba) AS \"Owner\", "
        "pg_catalog.pg_encoding_to_char(d.encoding) AS \"Encoding\", d.datcollate AS \"Collate\", "
        "d.datctype AS \"Ctype\" FROM pg_catalog.pg_database d ORDER BY 1");
    return list_simple(shell, "List of databases", &query);
}

static void
add_attribute(struct buffer *text, bool holds, const char *words)
{
    if (holds) {
        buffer_printf(text, "%s%s", text->size > 0 ? ", " : "", words);
    }
}

static bool
list_roles(struct shell *shell, const char *pattern)
{
    struct buffer query = {0};
    struct arena arena;
    struct print_table roles;
    buffer_add_text(&query,
        "SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, "
        "r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit "
        "FROM pg_catalog.pg_roles r WHERE true");
    if (pattern != NULL) {
        add_condition(&query, "r.rolname", pattern, strlen(pattern));
    } else {
        buffer_add_text(&query, " AND r.rolname NOT LIKE 'pg\\_%'");
    }
    buffer_add_text(&query, " ORDER BY 1");
    arena_create(&arena, "describe");
    bool ok = fetch(shell, &query, &arena, &roles);
    if (ok) {
        static const char *const names[] = {"Role name", "Attributes"};
        struct print_table table = {.arena = &arena, .title = "List of roles", .no_footer = true};
        set_columns(&table, names, 2);
        for (size_t row = 0; row < roles.row_count; row++) {
            struct buffer text = {0};
            add_attribute(&text, is_true(&roles, row, 1), "Superuser");
            add_attribute(&text, !is_true(&roles, row, 2), "No inheritance");
            add_attribute(&text, is_true(&roles, row, 3), "Create role");
            add_attribute(&text, is_true(&roles, row, 4), "Create DB");
            add_attribute(&text, !is_true(&roles, row, 5), "Cannot login");
            add_attribute(&text, is_true(&roles, row, 6), "Replication");
            add_attribute(&text, is_true(&roles, row, 7), "Bypass RLS");
            const char *limit = cell(&roles, row, 8);
            if (strcmp(limit, "0") == 0) {
                buffer_printf(&text, "%sNo connections", text.size > 0 ? "\n" : "");
            } else if (limit[0] != '-' && limit[0] != '\0') {
                buffer_printf(&text, "%s%s connection%s", text.size > 0 ? "\n" : "", limit,
                    strcmp(limit, "1") == 0 ? "" : "s");
            }
            buffer_add_u8(&text, 0);
            print_add_text(&table, cell(&roles, row, 0));
            print_add_text(&table, (const char *)text.data);
            table.row_count++;
            buffer_destroy(&text);
        }
        show(shell, &table);
    }
    arena_destroy(&arena);
    buffer_destroy(&query);
    return ok;
}

/* ---- one relation ---------------------------------------------------------------------------- */

struct relation {
    struct shell *shell;
    struct arena *arena;
    struct buffer query;
    struct print_table table;
    const char *oid, *schema, *name;
    char kind;
    bool more; /* \d+ */
};

/* What follows "USING " in an index definition: method and columns. */
static const char *
index_body(const char *definition)
{
    const char *using = strstr(definition, " USING ");
    return using == NULL ? definition : using + 7;
}

static __attribute__((format(printf, 2, 3))) void
add_line(struct relation *relation, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    print_add_footer(&relation->table, text);
}

/* How it is sharded; of a server that knows of such things. */
static bool
add_sharding(struct relation *relation)
{
    struct print_table found;
    buffer_add_text(&relation->query, "SELECT 1 FROM pg_catalog.pg_class WHERE relname = "
                                      "'tusk_sharded_tables' AND relnamespace = 11");
    if (!fetch(relation->shell, &relation->query, relation->arena, &found) ||
        found.row_count == 0) {
        return true;
    }
    buffer_printf(&relation->query,
        "SELECT definition FROM pg_catalog.tusk_sharded_tables WHERE relid = %s", relation->oid);
    if (!fetch(relation->shell, &relation->query, relation->arena, &found)) {
        return false;
    }
    if (found.row_count > 0) {
        add_line(relation, "Sharding:");
        add_line(relation, "    %s", cell(&found, 0, 0));
    }
    return true;
}

static bool
add_indexes(struct relation *relation)
{
    struct print_table found;
    buffer_printf(&relation->query,
        "SELECT c2.relname, i.indisprimary, i.indisunique, i.indisvalid, "
        "pg_catalog.pg_get_indexdef(i.indexrelid), con.contype, con.condeferrable, "
        "con.condeferred FROM pg_catalog.pg_index i "
        "JOIN pg_catalog.pg_class c2 ON c2.oid = i.indexrelid "
        "LEFT JOIN pg_catalog.pg_constraint con ON con.conrelid = i.indrelid "
        "AND con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x') "
        "WHERE i.indrelid = %s ORDER BY i.indisprimary DESC, c2.relname",
        relation->oid);
    if (!fetch(relation->shell, &relation->query, relation->arena, &found)) {
        return false;
    }
    for (size_t row = 0; row < found.row_count; row++) {
        if (row == 0) {
            add_line(relation, "Indexes:");
        }
        const char *kind = is_true(&found, row, 1)          ? " PRIMARY KEY,"
                           : !is_true(&found, row, 2)       ? ""
                           : cell(&found, row, 5)[0] == 'u' ? " UNIQUE CONSTRAINT,"
                                                            : " UNIQUE,";
        add_line(relation, "    \"%s\"%s %s%s%s%s", cell(&found, row, 0), kind,
            index_body(cell(&found, row, 4)), is_true(&found, row, 6) ? " DEFERRABLE" : "",
            is_true(&found, row, 7) ? " INITIALLY DEFERRED" : "",
            is_true(&found, row, 3) ? "" : " INVALID");
    }
    return true;
}

/* Constraints of one kind under a heading. `far`: of other tables that point here. */
static bool
add_constraints(struct relation *relation, const char *heading, char kind, bool far)
{
    struct print_table found;
    buffer_printf(&relation->query,
        "SELECT con.conname, pg_catalog.pg_get_constraintdef(con.oid, true), "
        "n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid) "
        "FROM pg_catalog.pg_constraint con "
        "JOIN pg_catalog.pg_class c ON c.oid = con.conrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE con.%s = %s AND con.contype = '%c' ORDER BY con.conname",
        far ? "confrelid" : "conrelid", relation->oid, kind);
    if (!fetch(relation->shell, &relation->query, relation->arena, &found)) {
        return false;
    }
    for (size_t row = 0; row < found.row_count; row++) {
        if (row == 0) {
            add_line(relation, "%s", heading);
        }
        const char *name = cell(&found, row, 0);
        const char *definition = cell(&found, row, 1);
        if (far) {
            bool visible = is_true(&found, row, 4);
            add_line(relation, "    TABLE \"%s%s%s\" CONSTRAINT \"%s\" %s",
                visible ? "" : cell(&found, row, 2), visible ? "" : ".", cell(&found, row, 3), name,
                definition);
        } else {
            add_line(relation, "    \"%s\" %s", name, definition);
        }
    }
    return true;
}

/* The name of a column's collation where it is not its type's own. */
static const char *
collation_of(struct relation *relation, const char *oid)
{
    struct print_table found;
    buffer_printf(
        &relation->query, "SELECT collname FROM pg_catalog.pg_collation WHERE oid = %s", oid);
    if (!fetch(relation->shell, &relation->query, relation->arena, &found) ||
        found.row_count != 1) {
        return "";
    }
    return cell(&found, 0, 0);
}

static bool
add_columns(struct relation *relation)
{
    static const char *const names[] = {"Column", "Type", "Collation", "Nullable", "Default",
        "Storage", "Compression", "Stats target", "Description"};
    static const char *const view_names[] = {
        "Column", "Type", "Collation", "Nullable", "Default", "Storage", "Description"};
    bool view = relation->kind == 'v';
    struct print_table found;
    buffer_printf(&relation->query,
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), "
        "pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.attidentity, a.attgenerated, "
        "a.attcollation, t.typcollation, CASE a.attstorage WHEN 'p' THEN 'plain' "
        "WHEN 'x' THEN 'extended' WHEN 'm' THEN 'main' WHEN 'e' THEN 'external' END, "
        "CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE '' END, "
        "CASE WHEN a.attstattarget = -1 THEN NULL ELSE a.attstattarget END, "
        "pg_catalog.col_description(a.attrelid, a.attnum) FROM pg_catalog.pg_attribute a "
        "LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        relation->oid);
    if (!fetch(relation->shell, &relation->query, relation->arena, &found)) {
        return false;
    }
    set_columns(&relation->table, view ? view_names : names, !relation->more ? 5 : view ? 7 : 9);
    for (size_t row = 0; row < found.row_count; row++) {
        const char *collation = cell(&found, row, 6);
        bool own = collation[0] == '\0' || strcmp(collation, "0") == 0 ||
                   strcmp(collation, cell(&found, row, 7)) == 0;
        const char *value = cell(&found, row, 2);
        char identity = cell(&found, row, 4)[0];
        if (identity == 'a') {
            value = "generated always as identity";
        } else if (identity == 'd') {
            value = "generated by default as identity";
        } else if (cell(&found, row, 5)[0] == 's') {
            value = arena_printf(relation->arena, "generated always as (%s) stored", value);
        }
        print_add_text(&relation->table, cell(&found, row, 0));
        print_add_text(&relation->table, cell(&found, row, 1));
        print_add_text(&relation->table, own ? "" : collation_of(relation, collation));
        print_add_text(&relation->table, is_true(&found, row, 3) ? "not null" : "");
        print_add_text(&relation->table, value);
        for (size_t i = 8; relation->more && i < 12; i++) {
            if (!view || i == 8 || i == 11) {
                print_add_text(&relation->table, cell(&found, row, i));
            }
        }
        relation->table.row_count++;
    }
    return true;
}

/* What \d+ says below: a view's query, a table's access method. */
static bool
add_more(struct relation *relation)
{
    struct print_table found;
    if (!relation->more) {
        return true;
    }
    if (relation->kind == 'v') {
        buffer_printf(
            &relation->query, "SELECT pg_catalog.pg_get_viewdef(%s, true)", relation->oid);
    } else {
        buffer_printf(&relation->query,
            "SELECT am.amname FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.oid = %s",
            relation->oid);
    }
    if (!fetch(relation->shell, &relation->query, relation->arena, &found)) {
        return false;
    }
    if (found.row_count == 1 && relation->kind == 'v') {
        print_add_footer(&relation->table, "View definition:");
        print_add_footer(&relation->table, cell(&found, 0, 0));
    } else if (found.row_count == 1) {
        add_line(relation, "Access method: %s", cell(&found, 0, 0));
    }
    return true;
}

static bool
add_index_columns(struct relation *relation)
{
    static const char *const names[] = {
        "Column", "Type", "Key?", "Definition", "Storage", "Stats target"};
    struct print_table found;
    buffer_printf(&relation->query,
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), "
        "CASE WHEN a.attnum <= i.indnkeyatts THEN 'yes' ELSE 'no' END, "
        "pg_catalog.pg_get_indexdef(i.indexrelid, a.attnum, true), i.indisprimary, "
        "i.indisunique, pg_catalog.pg_get_indexdef(i.indexrelid), n.nspname, c2.relname, "
        "pg_catalog.pg_get_expr(i.indpred, i.indrelid, true), CASE a.attstorage "
        "WHEN 'p' THEN 'plain' WHEN 'x' THEN 'extended' WHEN 'm' THEN 'main' "
        "WHEN 'e' THEN 'external' END, "
        "CASE WHEN a.attstattarget = -1 THEN NULL ELSE a.attstattarget END "
        "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid "
        "JOIN pg_catalog.pg_class c2 ON c2.oid = i.indrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c2.relnamespace "
        "WHERE i.indexrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        relation->oid);
    if (!fetch(relation->shell, &relation->query, relation->arena, &found)) {
        return false;
    }
    set_columns(&relation->table, names, relation->more ? 6 : 4);
    for (size_t row = 0; row < found.row_count; row++) {
        for (size_t i = 0; i < relation->table.column_count; i++) {
            print_add_text(&relation->table, cell(&found, row, i < 4 ? i : i + 6));
        }
        relation->table.row_count++;
    }
    if (found.row_count > 0) {
        const char *body = index_body(cell(&found, 0, 6));
        const char *predicate = cell(&found, 0, 9);
        add_line(relation, "%s%.*s, for table \"%s.%s\"%s%s%s",
            is_true(&found, 0, 4)   ? "primary key, "
            : is_true(&found, 0, 5) ? "unique, "
                                    : "",
            (int)strcspn(body, " "), body, cell(&found, 0, 7), cell(&found, 0, 8),
            predicate[0] == '\0' ? "" : ", predicate (", predicate,
            predicate[0] == '\0' ? "" : ")");
    }
    return true;
}

static bool
add_sequence(struct relation *relation)
{
    buffer_printf(&relation->query,
        "SELECT pg_catalog.format_type(seqtypid, NULL) AS \"Type\", seqstart AS \"Start\", "
        "seqmin AS \"Minimum\", seqmax AS \"Maximum\", seqincrement AS \"Increment\", "
        "CASE WHEN seqcycle THEN 'yes' ELSE 'no' END AS \"Cycles?\", seqcache AS \"Cache\" "
        "FROM pg_catalog.pg_sequence WHERE seqrelid = %s",
        relation->oid);
    return fetch(relation->shell, &relation->query, relation->arena, &relation->table);
}

static bool
describe_relation(struct relation *relation)
{
    bool ok;
    const char *kind = "Table";
    switch (relation->kind) {
    case 'i':
    case 'I':
        kind = relation->kind == 'i' ? "Index" : "Partitioned index";
        ok = add_index_columns(relation);
        break;
    case 'S':
        kind = "Sequence";
        ok = add_sequence(relation);
        break;
    default:
        kind = relation->kind == 'v'   ? "View"
               : relation->kind == 'm' ? "Materialized view"
               : relation->kind == 'c' ? "Composite type"
               : relation->kind == 'f' ? "Foreign table"
               : relation->kind == 'p' ? "Partitioned table"
               : relation->kind == 't' ? "TOAST table"
                                       : kind;
        ok = add_columns(relation) && (relation->kind != 'r' || add_sharding(relation)) &&
             add_indexes(relation) && add_constraints(relation, "Check constraints:", 'c', false) &&
             add_constraints(relation, "Foreign-key constraints:", 'f', false) &&
             add_constraints(relation, "Referenced by:", 'f', true) && add_more(relation);
    }
    if (ok) {
        relation->table.title =
            arena_printf(relation->arena, "%s \"%s.%s\"", kind, relation->schema, relation->name);
        relation->table.no_footer = true;
        show(relation->shell, &relation->table);
    }
    return ok;
}

static bool
describe_named(struct shell *shell, const char *pattern, bool more)
{
    struct buffer query = {0};
    struct arena arena;
    struct print_table found;
    buffer_add_text(&query,
        "SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c "
        "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE true");
    add_relation_pattern(&query, pattern);
    buffer_add_text(&query, " ORDER BY 2, 3");
    arena_create(&arena, "describe");
    bool ok = fetch(shell, &query, &arena, &found);
    if (ok && found.row_count == 0) {
        shell_error(shell, "Did not find any relation named \"%s\".", pattern);
        ok = false;
    }
    for (size_t row = 0; ok && row < found.row_count; row++) {
        struct relation relation = {.shell = shell,
            .arena = &arena,
            .table = {.arena = &arena},
            .oid = cell(&found, row, 0),
            .schema = cell(&found, row, 1),
            .name = cell(&found, row, 2),
            .kind = cell(&found, row, 3)[0],
            .more = more};
        ok = describe_relation(&relation);
        buffer_destroy(&relation.query);
    }
    arena_destroy(&arena);
    buffer_destroy(&query);
    return ok;
}

bool
describe(struct shell *shell, const char *what, const char *pattern)
{
    if (strcmp(what, "dn") == 0) {
        return list_schemas(shell, pattern);
    }
    if (strcmp(what, "du") == 0 || strcmp(what, "dg") == 0) {
        return list_roles(shell, pattern);
    }
    if (strcmp(what, "df") == 0) {
        return list_functions(shell, pattern);
    }
    if (strcmp(what, "dT") == 0) {
        return list_types(shell, pattern);
    }
    if (strcmp(what, "dp") == 0 || strcmp(what, "z") == 0) {
        return list_privileges(shell, pattern);
    }
    if (strcmp(what, "dx") == 0) {
        return list_extensions(shell, pattern);
    }
    if (strcmp(what, "dD") == 0) {
        return list_domains(shell, pattern);
    }
    if ((strcmp(what, "d") == 0 || strcmp(what, "d+") == 0) && pattern != NULL) {
        return describe_named(shell, pattern, what[1] == '+');
    }
    return list_relations(shell, what, pattern);
}
