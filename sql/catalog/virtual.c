/*
 * sql/catalog/virtual.c - the tables of catalog views: their columns, and how a scan begins.
 *
 * The views are made of the picture, row by row, whenever somebody reads them; nothing is stored.
 */
#include "base/assert.h"
#include "sql/catalog/virtual_internal.h"

/* ---- rows
 * ---------------------------------------------------------------------------------------- */

void
virtual__clear(struct virtual_row *row)
{
    for (uint16_t i = 0; i < row->table->column_count; i++) {
        const struct column *column = &row->table->columns[i];
        const struct type *type = type_by_oid(column->type);
        if (!column->not_null) {
            row->values[i] = datum_null();
        } else if (type->element != 0) {
            row->values[i] = array_make(row->eval->arena, type->element, false, NULL, 0);
        } else if (type->by_reference) {
            row->values[i] = virtual__text("");
        } else {
            row->values[i] = datum_int(0);
        }
    }
}

enum err
virtual__emit(struct virtual_row *row)
{
    return row->emit(row->arg, row->values);
}

static enum err
start(virtual__fill *fill, const struct virtual_table *table, struct eval *eval,
    const struct catalog *catalog, enum err (*emit)(void *arg, const struct datum *values),
    void *arg)
{
    ASSERT(table->column_count <= VIRTUAL_COLUMNS_MAX);
    struct virtual_row *row = arena_alloc(eval->arena, sizeof *row);
    row->eval = eval;
    row->catalog = catalog;
    row->emit = emit;
    row->arg = arg;
    row->table = table;
    return fill(row);
}

enum err
virtual__nothing(struct virtual_row *row)
{
    (void)row;
    return ERR_OK;
}

/* ---- rows of the session's
 * ------------------------------------------------------------------------- */

/* Written before the first statement, then only read. */
static struct {
    const char *table;
    virtual_scan *_Atomic scan;
} hooks[] = {
    {.table = "pg_settings"},
    {.table = "pg_stat_activity"},
    {.table = "pg_stat_ssl"},
    {.table = "pg_stat_progress_create_index"},
    {.table = "pg_stat_progress_copy"},
    {.table = "pg_locks"},
    {.table = "pg_prepared_statements"},
    {.table = "pg_cursors"},
    {.table = "tusk_serialization_failures"},
    {.table = "tusk_serialization_counts"},
    {.table = "tusk_serializable_reads"},
    {.table = "tusk_buckets"},
    {.table = "tusk_nodes"},
    {.table = "tusk_moves"},
    {.table = "tusk_router_refusals"},
    {.table = "tusk_router_pools"},
    {.table = "tusk_router_breakers"},
    {.table = "tusk_router_plans"},
    {.table = "tusk_checkpoint"},
    {.table = "tusk_undo"},
    {.table = "tusk_idempotency_keys"},
    {.table = "tusk_sagas"},
    {.table = "tusk_saga_steps"},
    {.table = "pg_stat_bgwriter"},
};

void
catalog_set_virtual_scan(const char *table, virtual_scan *scan)
{
    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        if (strcmp(hooks[i].table, table) == 0) {
            atomic_store(&hooks[i].scan, scan);
            return;
        }
    }
    ASSERT(false && "a view that the session fills");
}

static enum err
virtual__hooked(struct virtual_row *row)
{
    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        virtual_scan *scan = atomic_load(&hooks[i].scan);
        if (strcmp(hooks[i].table, row->table->name) == 0 && scan != NULL) {
            return scan(row->eval, row->catalog, row->emit, row->arg);
        }
    }
    return ERR_OK;
}

/* ---- the tables
 * ------------------------------------------------------------------------------------ */

#define TABLE(id, schema, table_name, oid, kind, scan) static const struct column id##_columns[] = {
#define COLUMN(id, column_name, column_type, is_not_null) \
    {.name = #column_name, .type = column_type, .typmod = -1, .not_null = is_not_null},
#define END(id) \
    }           \
    ;
#include "sql/catalog/virtual_columns.inc"
#undef TABLE
#undef COLUMN
#undef END

#define TABLE(id, schema_name, table_name, table_oid, relkind, fill)            \
    static virtual_scan id##_scan;                                              \
    static const struct virtual_table id##_table = {.schema = #schema_name,     \
        .name = #table_name,                                                    \
        .oid = table_oid,                                                       \
        .kind = relkind,                                                        \
        .column_count = id##_count,                                             \
        .columns = id##_columns,                                                \
        .scan = id##_scan};                                                     \
    static enum err id##_scan(struct eval *eval, const struct catalog *catalog, \
        enum err (*emit)(void *arg, const struct datum *values), void *arg)     \
    {                                                                           \
        return start(virtual__##fill, &id##_table, eval, catalog, emit, arg);   \
    }
#define COLUMN(id, name, type, not_null)
#define END(id)
#include "sql/catalog/virtual_columns.inc"
#undef TABLE
#undef COLUMN
#undef END

static const struct virtual_table *const tables[] = {
#define TABLE(id, schema, name, oid, kind, scan) &id##_table,
#define COLUMN(id, name, type, not_null)
#define END(id)
#include "sql/catalog/virtual_columns.inc"
#undef TABLE
#undef COLUMN
#undef END
};

double
catalog_virtual_rows(const struct catalog *catalog, const struct relation *relation)
{
    enum {
        ROWS_LEAST = 200,
        COLUMNS = 12, /* of a table, more or less, and .. */
        INDEXES = 2,
    };
    static const struct {
        oid_t oid;
        int factor; /* rows for each relation; 0: not of relations */
        int more;
    } known[] = {
        {1259, 1 + INDEXES, 0}, /* pg_class */
        {1249, COLUMNS, 0},     /* pg_attribute */
        {2610, INDEXES, 0},     /* pg_index */
        {2606, INDEXES, 0},     /* pg_constraint */
        {13295, COLUMNS, 0},    /* columns */
        {1255, 0, 1000},        /* pg_proc */
        {2617, 0, 700},         /* pg_operator */
        {2615, 0, 0},           /* pg_namespace */
        {2601, 0, 0},           /* pg_am */
    };
    double relations = (double)catalog->relation_count;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].oid == relation->oid) {
            double rows = relations * known[i].factor + known[i].more;
            return rows == 0 ? 10 : rows;
        }
    }
    return relations < ROWS_LEAST ? ROWS_LEAST : relations;
}

const struct virtual_table *const *
catalog__virtual_tables(size_t *count)
{
    *count = sizeof tables / sizeof tables[0];
    return tables;
}
