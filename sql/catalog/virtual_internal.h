/* sql/catalog/virtual_internal.h - the columns of the catalog views by name, and their scans. */
#ifndef SQL_CATALOG_VIRTUAL_INTERNAL_H
#define SQL_CATALOG_VIRTUAL_INTERNAL_H

#include "sql/catalog/catalog_internal.h"

/* pg_class_relname and so on: positions in a row; pg_class_count. */
#define TABLE(id, schema, name, oid, kind, scan) enum {
#define COLUMN(id, name, type, not_null)         id##_##name,
#define END(id) \
    id##_count, \
    }           \
    ;
#include "sql/catalog/virtual_columns.inc"
#undef TABLE
#undef COLUMN
#undef END

enum {
    VIRTUAL_COLUMNS_MAX = 96,
};

/* A row being made. */
struct virtual_row {
    struct eval *eval;
    const struct catalog *catalog;
    enum err (*emit)(void *arg, const struct datum *values);
    void *arg;
    const struct virtual_table *table;
    struct datum values[VIRTUAL_COLUMNS_MAX];
};

/* Every column null, or 0, false and '' where it may not be null. */
void virtual__clear(struct virtual_row *row);
enum err virtual__emit(struct virtual_row *row);

static inline struct datum
virtual__text(const char *text)
{
    return datum_bytes(text, strlen(text));
}

/* What pg_class.relkind shows. */
char virtual__shown_kind(const struct relation *relation);
/* pg_attrdef.oid: unique among defaults, and stable. */
oid_t virtual__default_oid(oid_t relation, uint16_t column);
const char *virtual__role_name(const struct virtual_row *row, oid_t oid); /* "": none */

typedef enum err virtual__fill(struct virtual_row *row);
/* One for each view that has rows, named as in virtual_columns.inc. */
enum err virtual__pg_class(struct virtual_row *row);
enum err virtual__pg_stats(struct virtual_row *row);
enum err virtual__pg_statistic(struct virtual_row *row);
enum err virtual__pg_namespace(struct virtual_row *row);
enum err virtual__pg_attribute(struct virtual_row *row);
enum err virtual__pg_type(struct virtual_row *row);
enum err virtual__pg_enum(struct virtual_row *row);
enum err virtual__pg_index(struct virtual_row *row);
enum err virtual__pg_constraint(struct virtual_row *row);
enum err virtual__pg_attrdef(struct virtual_row *row);
enum err virtual__pg_depend(struct virtual_row *row);
enum err virtual__pg_rewrite(struct virtual_row *row);
enum err virtual__pg_proc(struct virtual_row *row);
enum err virtual__pg_operator(struct virtual_row *row);
enum err virtual__pg_cast(struct virtual_row *row);
enum err virtual__pg_am(struct virtual_row *row);
enum err virtual__pg_database(struct virtual_row *row);
enum err virtual__pg_default_acl(struct virtual_row *row);
enum err virtual__pg_roles(struct virtual_row *row);
enum err virtual__pg_user(struct virtual_row *row);
enum err virtual__pg_authid(struct virtual_row *row);
enum err virtual__pg_auth_members(struct virtual_row *row);
enum err virtual__pg_db_role_setting(struct virtual_row *row);
enum err virtual__pg_tables(struct virtual_row *row);
enum err virtual__pg_views(struct virtual_row *row);
enum err virtual__pg_matviews(struct virtual_row *row);
enum err virtual__pg_indexes(struct virtual_row *row);
enum err virtual__pg_description(struct virtual_row *row);
enum err virtual__pg_shdescription(struct virtual_row *row);
enum err virtual__pg_collation(struct virtual_row *row);
enum err virtual__pg_tablespace(struct virtual_row *row);
enum err virtual__pg_language(struct virtual_row *row);
enum err virtual__pg_stat_user_tables(struct virtual_row *row);
enum err virtual__pg_statio_all_tables(struct virtual_row *row);
enum err virtual__tusk_sharded_tables(struct virtual_row *row);
enum err virtual__pg_sequence(struct virtual_row *row);
enum err virtual__pg_sequences(struct virtual_row *row);
enum err virtual__is_sequences(struct virtual_row *row);
enum err virtual__is_tables(struct virtual_row *row);
enum err virtual__is_views(struct virtual_row *row);
enum err virtual__is_columns(struct virtual_row *row);
enum err virtual__is_schemata(struct virtual_row *row);
enum err virtual__is_table_constraints(struct virtual_row *row);
enum err virtual__is_key_column_usage(struct virtual_row *row);
enum err virtual__is_check_constraints(struct virtual_row *row);
enum err virtual__is_domains(struct virtual_row *row);
enum err virtual__is_domain_constraints(struct virtual_row *row);
enum err virtual__is_column_domain_usage(struct virtual_row *row);
enum err virtual__is_referential_constraints(struct virtual_row *row);
enum err virtual__is_constraint_column_usage(struct virtual_row *row);
enum err virtual__nothing(struct virtual_row *row);

#endif /* SQL_CATALOG_VIRTUAL_INTERNAL_H */
