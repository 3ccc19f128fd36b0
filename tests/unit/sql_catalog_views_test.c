/*
 * Catalog views and the functions beside them say what PostgreSQL 15 says of the same definitions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/sql_catalog_util.h"

static void
make_tables(struct fixture *f)
{
    fixture_run(f, "CREATE SCHEMA app");
    fixture_run(f, "CREATE TABLE t (id int PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', "
                   "amount numeric(10,2) CONSTRAINT t_amount_check CHECK (amount > 0), ts "
                   "timestamptz DEFAULT now(), "
                   "UNIQUE (name))");
    fixture_run(f, "CREATE TABLE app.\"U\" (a bigint, b text, PRIMARY KEY (a, b))");
    fixture_run(f, "CREATE INDEX t_amount ON t (amount DESC, ts NULLS FIRST)");
    fixture_run(f, "CREATE TABLE app.t (x int)");
    fixture_run(f, "COMMENT ON TABLE t IS 'a table'");
    fixture_run(f, "COMMENT ON COLUMN t.name IS 'a column'");
}

static void
run_classes(struct fixture *f)
{
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    struct view_rows *rows = mem_zalloc(sizeof *rows);

    view_read(f, catalog, "pg_catalog", "pg_class", rows);
    size_t t = view_find(rows, "relname", "t");
    SAME_TEXT(view_text(rows, t, "relkind"), "r");
    SAME_TEXT(view_text(rows, t, "relnatts"), "4");
    SAME_TEXT(view_text(rows, t, "relchecks"), "1");
    SAME_TEXT(view_text(rows, t, "relhasindex"), "t");
    SAME_TEXT(view_text(rows, t, "relnamespace"), "2200");
    const char *oid = view_text(rows, t, "oid");
    size_t pkey = view_find(rows, "relname", "t_pkey");
    SAME_TEXT(view_text(rows, pkey, "relkind"), "i");
    SAME_TEXT(view_text(rows, view_find(rows, "relname", "pg_tables"), "relkind"), "v");

    view_read(f, catalog, "pg_catalog", "pg_attribute", rows);
    size_t name = view_find(rows, "attname", "name");
    while (strcmp(view_text(rows, name, "attrelid"), oid) != 0) {
        name++;
    }
    SAME_TEXT(view_text(rows, name, "attname"), "id");
    SAME_TEXT(view_text(rows, name + 1, "attname"), "name");
    SAME_TEXT(view_text(rows, name + 1, "atttypmod"), "24");
    SAME_TEXT(view_text(rows, name + 1, "attnotnull"), "t");
    SAME_TEXT(view_text(rows, name + 1, "atthasdef"), "t");
    SAME_TEXT(view_text(rows, name + 2, "atttypid"), "1700");

    view_read(f, catalog, "pg_catalog", "pg_index", rows);
    size_t amount = view_find(rows, "indkey", "3 4");
    SAME_TEXT(view_text(rows, amount, "indrelid"), oid);
    SAME_TEXT(view_text(rows, amount, "indoption"), "3 2");
    SAME_TEXT(view_text(rows, amount, "indisunique"), "f");

    view_read(f, catalog, "pg_catalog", "pg_constraint", rows);
    size_t check = view_find(rows, "conname", "t_amount_check");
    SAME_TEXT(view_text(rows, check, "contype"), "c");
    SAME_TEXT(view_text(rows, view_find(rows, "conname", "t_pkey"), "contype"), "p");
    SAME_TEXT(view_text(rows, view_find(rows, "conname", "t_name_key"), "contype"), "u");
    SAME(view_find(rows, "conname", "t_amount"), rows->count);

    view_read(f, catalog, "pg_catalog", "pg_indexes", rows);
    SAME_TEXT(view_text(rows, view_find(rows, "indexname", "U_pkey"), "indexdef"),
        "CREATE UNIQUE INDEX \"U_pkey\" ON app.\"U\" USING btree (a, b)");

    mem_free(rows);
    catalog_release(catalog);
    fixture_commit(f);
}

static void
run_information_schema(struct fixture *f)
{
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    struct view_rows *rows = mem_zalloc(sizeof *rows);

    view_read(f, catalog, "information_schema", "columns", rows);
    size_t id = view_find(rows, "table_name", "t");
    SAME_TEXT(view_text(rows, id, "table_catalog"), "postgres");
    SAME_TEXT(view_text(rows, id, "data_type"), "integer");
    SAME_TEXT(view_text(rows, id, "is_nullable"), "NO");
    SAME_TEXT(view_text(rows, id, "numeric_precision"), "32");
    SAME_TEXT(view_text(rows, id + 1, "data_type"), "character varying");
    SAME_TEXT(view_text(rows, id + 1, "character_maximum_length"), "20");
    SAME_TEXT(view_text(rows, id + 1, "character_octet_length"), "80");
    SAME_TEXT(view_text(rows, id + 1, "column_default"), "'x'");
    SAME_TEXT(view_text(rows, id + 2, "numeric_precision"), "10");
    SAME_TEXT(view_text(rows, id + 2, "numeric_scale"), "2");
    SAME_TEXT(view_text(rows, id + 3, "datetime_precision"), "6");
    SAME_TEXT(view_text(rows, id + 3, "udt_name"), "timestamptz");

    view_read(f, catalog, "information_schema", "table_constraints", rows);
    size_t key = view_find(rows, "constraint_name", "t_name_key");
    SAME_TEXT(view_text(rows, key, "constraint_type"), "UNIQUE");
    SAME_TEXT(view_text(rows, key, "table_schema"), "public");

    view_read(f, catalog, "information_schema", "key_column_usage", rows);
    size_t b = view_find(rows, "column_name", "b");
    SAME_TEXT(view_text(rows, b, "constraint_name"), "U_pkey");
    SAME_TEXT(view_text(rows, b, "ordinal_position"), "2");

    mem_free(rows);
    catalog_release(catalog);
    fixture_commit(f);
}

static const char *
call_oid(struct fixture *f, const struct catalog *catalog, const char *name, oid_t oid)
{
    struct datum arg = datum_int(oid);
    oid_t type = TYPE_OID;
    return call_text(f, catalog, name, 1, &type, &arg);
}

static void
run_functions(struct fixture *f)
{
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    const struct relation *t = catalog_relation(catalog, NULL, "t");
    const struct relation *other = catalog_relation(catalog, "app", "t");
    const struct relation *table;
    const struct index *index = catalog_index(catalog, NULL, "t_amount", &table);
    SAME(table, t);

    SAME_TEXT(call_oid(f, catalog, "pg_get_indexdef", index->oid),
        "CREATE INDEX t_amount ON public.t USING btree (amount DESC, ts NULLS FIRST)");
    struct datum args[3] = {datum_int(index->oid), datum_int(0), datum_bool(true)};
    const oid_t types[3] = {TYPE_OID, TYPE_INT4, TYPE_BOOL};
    SAME_TEXT(call_text(f, catalog, "pg_get_indexdef", 3, types, args),
        "CREATE INDEX t_amount ON t USING btree (amount DESC, ts NULLS FIRST)");
    args[1] = datum_int(2);
    SAME_TEXT(call_text(f, catalog, "pg_get_indexdef", 3, types, args), "ts");
    SAME_TEXT(
        call_oid(f, catalog, "pg_get_constraintdef", t->checks[0].oid), "CHECK ((amount > 0))");
    SAME_TEXT(call_oid(f, catalog, "pg_get_constraintdef", t->primary->oid), "PRIMARY KEY (id)");
    SAME_TEXT(call_oid(f, catalog, "pg_get_constraintdef", 1), "<null>");

    SAME_TEXT(call_oid(f, catalog, "pg_table_is_visible", t->oid), "t");
    SAME_TEXT(call_oid(f, catalog, "pg_table_is_visible", other->oid), "f");
    SAME_TEXT(call_oid(f, catalog, "pg_table_is_visible", 1), "<null>");
    SAME_TEXT(call_oid(f, catalog, "pg_get_userbyid", 10), "postgres");
    SAME_TEXT(call_oid(f, catalog, "pg_get_userbyid", 9), "unknown (OID=9)");

    const oid_t description[2] = {TYPE_OID, TYPE_NAME};
    struct datum of_table[2] = {datum_int(t->oid), text_arg("pg_class")};
    SAME_TEXT(call_text(f, catalog, "obj_description", 2, description, of_table), "a table");
    const oid_t column[2] = {TYPE_OID, TYPE_INT4};
    struct datum of_column[2] = {datum_int(t->oid), datum_int(2)};
    SAME_TEXT(call_text(f, catalog, "col_description", 2, column, of_column), "a column");

    struct datum format[2] = {datum_int(TYPE_NUMERIC), datum_int(t->columns[2].typmod)};
    SAME_TEXT(call_text(f, catalog, "format_type", 2, column, format), "numeric(10,2)");
    format[0] = datum_int(TYPE_BPCHAR);
    format[1] = datum_null();
    SAME_TEXT(call_text(f, catalog, "format_type", 2, column, format), "character");

    catalog_release(catalog);
    fixture_commit(f);
}

static void
run_regclass(struct fixture *f)
{
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    f->env.catalog = catalog;
    struct diag diag;
    struct eval eval = {.task = f->task, .arena = &f->arena, .diag = &diag, .env = &f->env};
    static const struct {
        const char *in, *out; /* NULL: the error 42P01 */
    } names[] = {
        {"t", "t"},
        {"T", "t"},
        {"public.t", "t"},
        {"app.t", "app.t"},
        {"app.\"U\"", "app.\"U\""},
        {"app.u", NULL},
        {"nothing", NULL},
        {"pg_catalog.pg_class", "pg_class"},
        {"information_schema.columns", "information_schema.columns"},
        {"t_pkey", "t_pkey"},
        {"postgres.public.t", "t"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct datum oid;
        enum err err =
            type_input(&eval, TYPE_REGCLASS, -1, slice_of(names[i].in, strlen(names[i].in)), &oid);
        if (names[i].out == NULL) {
            SAME(err, ERR_UNDEFINED_TABLE);
            continue;
        }
        SAME(err, ERR_OK);
        struct buffer to = {0};
        type_output(&f->env, TYPE_REGCLASS, oid, &to);
        buffer_add_u8(&to, 0);
        SAME_TEXT((const char *)to.data, names[i].out);
        buffer_destroy(&to);
    }
    static const char *const malformed[] = {"", "a.", "\"a", "a.b.c.d", "a\"b\"c."};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct datum oid;
        enum err err = type_input(
            &eval, TYPE_REGCLASS, -1, slice_of(malformed[i], strlen(malformed[i])), &oid);
        SAME(err, ERR_INVALID_NAME);
    }
    catalog_release(catalog);
    fixture_commit(f);
}

static void
run_sizes(struct fixture *f)
{
    static const struct {
        int64_t size;
        const char *pretty; /* of PostgreSQL 15 */
    } sizes[] = {
        {0, "0 bytes"},
        {10239, "10239 bytes"},
        {10240, "10 kB"},
        {-10240, "-10 kB"},
        {10485247, "10239 kB"},
        {10485248, "10 MB"},
        {1073741824, "1024 MB"},
        {123456789012, "115 GB"},
        {INT64_MAX, "8192 PB"},
        {INT64_MIN, "-8192 PB"},
    };
    const oid_t type = TYPE_INT8;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct datum size = datum_int(sizes[i].size);
        SAME_TEXT(call_text(f, NULL, "pg_size_pretty", 1, &type, &size), sizes[i].pretty);
    }
}

/* Every view can be read to its end and honours its NOT NULLs (view_emit asserts it). */
static void
run_all_views(struct fixture *f)
{
    fixture_begin(f);
    struct catalog *catalog = fixture_catalog(f);
    struct view_rows *rows = mem_zalloc(sizeof *rows);
    const struct relation *relation;
    size_t views = 0;
    for (size_t i = 0; (relation = catalog_relation_at(catalog, i)) != NULL; i++) {
        if (relation->virtual_table != NULL) {
            view_read(f, catalog, relation->schema_name, relation->name, rows);
            for (size_t row = 0; row < rows->count; row++) {
                for (uint16_t c = 0; c < relation->column_count; c++) {
                    (void)view_text(rows, row, relation->columns[c].name);
                }
            }
            arena_reset(&f->arena);
            views++;
        }
    }
    ASSERT(views > 60);
    mem_free(rows);
    catalog_release(catalog);
    fixture_commit(f);
}

static void
run(struct task *task, void *arg)
{
    struct fixture fixture;
    fixture_create(&fixture, task, arg);
    make_tables(&fixture);
    run_classes(&fixture);
    run_information_schema(&fixture);
    run_functions(&fixture);
    run_regclass(&fixture);
    run_sizes(&fixture);
    run_all_views(&fixture);
    fixture_destroy(&fixture);
}

static void
test_views(void **state)
{
    (void)state;
    test_run_os(run, 1, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_views)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
