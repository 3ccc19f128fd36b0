/* sql/catalog/virtual_statistics.c - pg_stats and pg_statistic: what ANALYZE found. */
#include "sql/catalog/statistics.h"
#include "sql/catalog/virtual_internal.h"

#define SET(column, value) (row->values[column] = (value))

enum { /* pg_statistic.stakind */
    KIND_COMMON = 1,
    KIND_HISTOGRAM = 2,
    KIND_CORRELATION = 3,
};

static struct datum
number(double value)
{
    return (struct datum){.f = value};
}

/* The values as texts; PostgreSQL's type for them is anyarray. */
static struct datum
values_text(struct virtual_row *row, oid_t type, const struct datum *values, uint32_t count)
{
    if (count == 0) {
        return datum_null();
    }
    struct arena *arena = row->eval->arena;
    struct datum *texts = arena_array(arena, count, sizeof *texts);
    struct buffer text = {0};
    for (uint32_t i = 0; i < count; i++) {
        text.size = 0;
        type_output(row->eval->env, type, values[i], &text);
        texts[i] = datum_bytes(arena_copy(arena, text.data, text.size), text.size);
    }
    buffer_destroy(&text);
    return array_make(arena, TYPE_TEXT, false, texts, count);
}

static struct datum
numbers(struct virtual_row *row, const double *list, uint32_t count)
{
    if (count == 0) {
        return datum_null();
    }
    struct datum *values = arena_array(row->eval->arena, count, sizeof *values);
    for (uint32_t i = 0; i < count; i++) {
        values[i] = number((double)(float)list[i]);
    }
    return array_make(row->eval->arena, TYPE_FLOAT4, false, values, count);
}

typedef enum err each_column(struct virtual_row *row, const struct relation *relation,
    uint16_t column, const struct column_statistics *statistics);

static enum err
visit(struct virtual_row *row, each_column *each)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t c = 0; c < relation->column_count; c++) {
            const struct column_statistics *statistics = statistics_of(relation, c);
            if (relation->kind == RELATION_TABLE && statistics != NULL &&
                !relation->columns[c].dropped) {
                virtual__clear(row);
                TRY(each(row, relation, c, statistics));
            }
        }
    }
    return ERR_OK;
}

static enum err
stats_row(struct virtual_row *row, const struct relation *relation, uint16_t column,
    const struct column_statistics *statistics)
{
    SET(pg_stats_schemaname, virtual__text(relation->schema_name));
    SET(pg_stats_tablename, virtual__text(relation->name));
    SET(pg_stats_attname, virtual__text(relation->columns[column].name));
    SET(pg_stats_inherited, datum_bool(false));
    SET(pg_stats_null_frac, number((double)(float)statistics->null_fraction));
    SET(pg_stats_avg_width, datum_int((int64_t)statistics->width));
    SET(pg_stats_n_distinct, number((double)(float)statistics->distinct));
    SET(pg_stats_most_common_vals,
        values_text(row, statistics->type, statistics->common, statistics->common_count));
    SET(pg_stats_most_common_freqs,
        numbers(row, statistics->common_fractions, statistics->common_count));
    SET(pg_stats_histogram_bounds,
        values_text(row, statistics->type, statistics->bounds, statistics->bound_count));
    if (statistics->distinct != 0) {
        SET(pg_stats_correlation, number((double)(float)statistics->correlation));
    }
    return virtual__emit(row);
}

enum err
virtual__pg_stats(struct virtual_row *row)
{
    return visit(row, stats_row);
}

static enum err
statistic_row(struct virtual_row *row, const struct relation *relation, uint16_t column,
    const struct column_statistics *statistics)
{
    SET(pg_statistic_starelid, datum_int(relation->oid));
    SET(pg_statistic_staattnum, datum_int(column + 1));
    SET(pg_statistic_stanullfrac, number((double)(float)statistics->null_fraction));
    SET(pg_statistic_stawidth, datum_int((int64_t)statistics->width));
    SET(pg_statistic_stadistinct, number((double)(float)statistics->distinct));
    int slot = 0;
    if (statistics->common_count > 0) {
        SET(pg_statistic_stakind1 + slot, datum_int(KIND_COMMON));
        SET(pg_statistic_stanumbers1 + slot,
            numbers(row, statistics->common_fractions, statistics->common_count));
        SET(pg_statistic_stavalues1 + slot,
            values_text(row, statistics->type, statistics->common, statistics->common_count));
        slot++;
    }
    if (statistics->bound_count > 0) {
        SET(pg_statistic_stakind1 + slot, datum_int(KIND_HISTOGRAM));
        SET(pg_statistic_stavalues1 + slot,
            values_text(row, statistics->type, statistics->bounds, statistics->bound_count));
        slot++;
    }
    if (statistics->distinct != 0) {
        SET(pg_statistic_stakind1 + slot, datum_int(KIND_CORRELATION));
        SET(pg_statistic_stanumbers1 + slot, numbers(row, &statistics->correlation, 1));
    }
    return virtual__emit(row);
}

enum err
virtual__pg_statistic(struct virtual_row *row)
{
    return visit(row, statistic_row);
}
