/*
 * sql/catalog/virtual_information.c - the rows of information_schema.
 *
 * As in PostgreSQL, NOT NULL of a column is shown as a check constraint with a made-up name.
 */
#include "sql/catalog/foreign_key.h"
#include "sql/catalog/virtual_internal.h"

#define SET(column, value) (row->values[column] = (value))

static struct datum
yes_no(bool yes)
{
    return virtual__text(yes ? "YES" : "NO");
}

static struct datum
database(const struct virtual_row *row)
{
    return virtual__text(row->eval->env->database == NULL ? "" : row->eval->env->database);
}

enum err
virtual__is_tables(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (relation_is_materialized(table)) {
            continue;
        }
        virtual__clear(row);
        SET(is_tables_table_catalog, database(row));
        SET(is_tables_table_schema, virtual__text(table->schema_name));
        SET(is_tables_table_name, virtual__text(table->name));
        SET(is_tables_table_type,
            virtual__text(virtual__shown_kind(table) == 'r' ? "BASE TABLE" : "VIEW"));
        SET(is_tables_is_insertable_into, yes_no(table->kind == RELATION_TABLE));
        SET(is_tables_is_typed, yes_no(false));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

static view_probe *probe; /* set once, before the first statement */

void
catalog_set_view_probe(view_probe *given)
{
    probe = given;
}

enum err
virtual__is_views(struct virtual_row *row)
{
    const struct relation *view;
    for (size_t i = 0; (view = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (virtual__shown_kind(view) != 'v') {
            continue;
        }
        virtual__clear(row);
        SET(is_views_table_catalog, database(row));
        SET(is_views_table_schema, virtual__text(view->schema_name));
        SET(is_views_table_name, virtual__text(view->name));
        const char *text = catalog_view_definition(
            row->eval->arena, row->catalog, row->eval->env->search_path, view, false);
        if (text != NULL) {
            SET(is_views_view_definition, virtual__text(text));
        }
        SET(is_views_check_option, virtual__text(view->check_option == 'c'   ? "CASCADED"
                                                 : view->check_option == 'l' ? "LOCAL"
                                                                             : "NONE"));
        bool changes =
            text != NULL && probe != NULL && probe(row->eval, row->catalog, view, "update");
        bool inserts =
            text != NULL && probe != NULL && probe(row->eval, row->catalog, view, "insert into");
        SET(is_views_is_updatable, yes_no(changes));
        SET(is_views_is_insertable_into, yes_no(inserts));
        SET(is_views_is_trigger_updatable, yes_no(false));
        SET(is_views_is_trigger_deletable, yes_no(false));
        SET(is_views_is_trigger_insertable_into, yes_no(false));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

/* ---- columns --------------------------------------------------------------------------------- */

static void
set_numeric(struct virtual_row *row, int precision, int radix, int scale)
{
    SET(is_columns_numeric_precision, datum_int(precision));
    SET(is_columns_numeric_precision_radix, datum_int(radix));
    if (scale >= 0) {
        SET(is_columns_numeric_scale, datum_int(scale));
    }
}

/* "interval day to second(3)" is DAY TO SECOND(3) with 3 digits. */
static void
set_interval(struct virtual_row *row, int32_t typmod)
{
    static const char head[] = "interval ";
    bool digits = typmod >= 0 && (typmod & 0xFFFF) != 0xFFFF;
    char *name = type_format(row->eval->env, row->eval->arena, TYPE_INTERVAL, typmod);
    SET(is_columns_datetime_precision, datum_int(digits ? typmod & 0xFFFF : 6));
    if (strncmp(name, head, strlen(head)) == 0) {
        for (char *at = name; *at != '\0'; at++) {
            *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 32) : *at;
        }
        SET(is_columns_interval_type, virtual__text(name + strlen(head)));
    }
}

/* The columns that say how wide a value of the type is. */
static void
set_sizes(struct virtual_row *row, const struct column *column)
{
    enum {
        UTF8_BYTES_MAX = 4,
        VARLENA_MAX = 1 << 30,
    };
    switch (column->type) {
    case TYPE_BPCHAR:
    case TYPE_VARCHAR:
        if (column->typmod >= 4) {
            SET(is_columns_character_maximum_length, datum_int(column->typmod - 4));
        }
        SET(is_columns_character_octet_length,
            datum_int(column->typmod >= 4 ? (column->typmod - 4) * UTF8_BYTES_MAX : VARLENA_MAX));
        break;
    case TYPE_TEXT:
        SET(is_columns_character_octet_length, datum_int(VARLENA_MAX));
        break;
    case TYPE_INT2:
        set_numeric(row, 16, 2, 0);
        break;
    case TYPE_INT4:
        set_numeric(row, 32, 2, 0);
        break;
    case TYPE_INT8:
        set_numeric(row, 64, 2, 0);
        break;
    case TYPE_FLOAT4:
        set_numeric(row, 24, 2, -1);
        break;
    case TYPE_FLOAT8:
        set_numeric(row, 53, 2, -1);
        break;
    case TYPE_NUMERIC:
        SET(is_columns_numeric_precision_radix, datum_int(10));
        if (column->typmod >= 4) {
            int32_t bits = column->typmod - 4;
            set_numeric(row, bits >> 16 & 0xffff, 10, ((bits & 0x7ff) ^ 1024) - 1024);
        }
        break;
    case TYPE_DATE:
        SET(is_columns_datetime_precision, datum_int(0));
        break;
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        SET(is_columns_datetime_precision, datum_int(column->typmod < 0 ? 6 : column->typmod));
        break;
    case TYPE_INTERVAL:
        set_interval(row, column->typmod);
        break;
    default:
        break;
    }
}

static void
set_identity(struct virtual_row *row, const struct relation *table, int number)
{
    struct arena *arena = row->eval->arena;
    const struct relation *relation = catalog_owned_sequence(row->catalog, table->oid, number);
    SET(is_columns_identity_generation,
        virtual__text(table->columns[number].identity == 'a' ? "ALWAYS" : "BY DEFAULT"));
    if (relation == NULL) {
        return;
    }
    const struct sequence *sequence = relation->sequence;
    SET(is_columns_identity_start,
        virtual__text(arena_printf(arena, "%lld", (long long)sequence->start)));
    SET(is_columns_identity_increment,
        virtual__text(arena_printf(arena, "%lld", (long long)sequence->increment)));
    SET(is_columns_identity_maximum,
        virtual__text(arena_printf(arena, "%lld", (long long)sequence->maximum)));
    SET(is_columns_identity_minimum,
        virtual__text(arena_printf(arena, "%lld", (long long)sequence->minimum)));
    SET(is_columns_identity_cycle, yes_no(sequence->cycle));
}

static bool
not_null_domain(struct virtual_row *row, const struct column *column)
{
    const struct user_type *domain = catalog_type(row->catalog, column->domain);
    return domain != NULL && (column->domain & 1) == 0 && domain->not_null;
}

static enum err
one_column(struct virtual_row *row, const struct relation *table, int number)
{
    const struct column *column = &table->columns[number];
    const struct type *type = type_by_oid(column->type);
    virtual__clear(row);
    SET(is_columns_table_catalog, database(row));
    SET(is_columns_table_schema, virtual__text(table->schema_name));
    SET(is_columns_table_name, virtual__text(table->name));
    SET(is_columns_column_name, virtual__text(column->name));
    SET(is_columns_ordinal_position, datum_int(number + 1));
    if (column->generated) {
        SET(is_columns_generation_expression, virtual__text(catalog_default_text(row->eval->env,
                                                  row->eval->arena, column->default_text)));
    } else if (column->default_text != NULL && column->identity == 0) {
        SET(is_columns_column_default, virtual__text(catalog_default_text(row->eval->env,
                                           row->eval->arena, column->default_text)));
    }
    SET(is_columns_is_nullable, yes_no(!column->not_null && !not_null_domain(row, column)));
    const struct user_type *user = catalog_type(row->catalog, column->type);
    const struct user_type *domain = catalog_type(row->catalog, column->domain);
    if (domain != NULL && (column->domain & 1) == 0) {
        SET(is_columns_domain_catalog, database(row));
        SET(is_columns_domain_schema, virtual__text(domain->schema_name));
        SET(is_columns_domain_name, virtual__text(domain->name));
    } else if (domain != NULL) {
        user = domain; /* an array of it */
    }
    bool array = type->category == CATEGORY_ARRAY && type->array_oid == 0;
    SET(is_columns_data_type, virtual__text(array          ? "ARRAY"
                                            : user != NULL ? "USER-DEFINED"
                                                           : type->sql_name));
    set_sizes(row, column);
    SET(is_columns_udt_catalog, database(row));
    SET(is_columns_udt_schema, virtual__text(user != NULL ? user->schema_name : "pg_catalog"));
    SET(is_columns_udt_name,
        virtual__text(user == NULL ? type->name
                      : array      ? arena_printf(row->eval->arena, "_%s", user->name)
                                   : user->name));
    SET(is_columns_dtd_identifier, virtual__text(arena_printf(row->eval->arena, "%d", number + 1)));
    SET(is_columns_is_self_referencing, yes_no(false));
    SET(is_columns_is_identity, yes_no(column->identity != 0));
    SET(is_columns_identity_cycle, yes_no(false));
    if (column->identity != 0) {
        set_identity(row, table, number);
    }
    SET(is_columns_is_generated, virtual__text(column->generated ? "ALWAYS" : "NEVER"));
    SET(is_columns_is_updatable, yes_no(table->kind == RELATION_TABLE));
    return virtual__emit(row);
}

enum err
virtual__is_columns(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (int c = 0; c < table->column_count; c++) {
            if (!table->columns[c].dropped) {
                TRY(one_column(row, table, c));
            }
        }
    }
    return ERR_OK;
}

enum err
virtual__is_schemata(struct virtual_row *row)
{
    struct catalog_entry entry;
    for (size_t i = 0; catalog_schema_at(row->catalog, i, &entry); i++) {
        virtual__clear(row);
        SET(is_schemata_catalog_name, database(row));
        SET(is_schemata_schema_name, virtual__text(entry.name));
        SET(is_schemata_schema_owner, virtual__text(virtual__role_name(row, entry.owner)));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

/* ---- constraints ----------------------------------------------------------------------------- */

static const char *
not_null_name(const struct virtual_row *row, const struct relation *table, int column)
{
    return arena_printf(
        row->eval->arena, "%u_%u_%d_not_null", table->schema, table->oid, column + 1);
}

static enum err
table_constraint(struct virtual_row *row, const struct relation *table, const char *name,
    const char *type, const struct foreign_key *key)
{
    virtual__clear(row);
    SET(is_table_constraints_constraint_catalog, database(row));
    SET(is_table_constraints_constraint_schema, virtual__text(table->schema_name));
    SET(is_table_constraints_constraint_name, virtual__text(name));
    SET(is_table_constraints_table_catalog, database(row));
    SET(is_table_constraints_table_schema, virtual__text(table->schema_name));
    SET(is_table_constraints_table_name, virtual__text(table->name));
    SET(is_table_constraints_constraint_type, virtual__text(type));
    SET(is_table_constraints_is_deferrable, yes_no(key != NULL && key->deferrable));
    SET(is_table_constraints_initially_deferred, yes_no(key != NULL && key->initially_deferred));
    SET(is_table_constraints_enforced, yes_no(true));
    if (strcmp(type, "UNIQUE") == 0) {
        SET(is_table_constraints_nulls_distinct, yes_no(true));
    }
    return virtual__emit(row);
}

enum err
virtual__is_table_constraints(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t at = 0; at < table->index_count; at++) {
            const struct index *index = &table->indexes[at];
            if (index->constraint) {
                TRY(table_constraint(
                    row, table, index->name, index->primary ? "PRIMARY KEY" : "UNIQUE", NULL));
            }
        }
        for (uint16_t at = 0; at < table->check_count; at++) {
            TRY(table_constraint(row, table, table->checks[at].name, "CHECK", NULL));
        }
        for (uint16_t at = 0; at < table->foreign_count; at++) {
            const struct foreign_key *key = &table->foreign[at];
            TRY(table_constraint(row, table, key->name, "FOREIGN KEY", key));
        }
        for (int c = 0; table->kind == RELATION_TABLE && c < table->column_count; c++) {
            if (table->columns[c].not_null && !table->columns[c].dropped) {
                TRY(table_constraint(row, table, not_null_name(row, table, c), "CHECK", NULL));
            }
        }
    }
    return ERR_OK;
}

static enum err
key_column(struct virtual_row *row, const struct relation *table, const char *name, uint16_t column,
    uint16_t at, int position)
{
    virtual__clear(row);
    SET(is_key_column_usage_constraint_catalog, database(row));
    SET(is_key_column_usage_constraint_schema, virtual__text(table->schema_name));
    SET(is_key_column_usage_constraint_name, virtual__text(name));
    SET(is_key_column_usage_table_catalog, database(row));
    SET(is_key_column_usage_table_schema, virtual__text(table->schema_name));
    SET(is_key_column_usage_table_name, virtual__text(table->name));
    SET(is_key_column_usage_column_name, virtual__text(table->columns[column].name));
    SET(is_key_column_usage_ordinal_position, datum_int(at + 1));
    if (position >= 0) {
        SET(is_key_column_usage_position_in_unique_constraint, datum_int(position + 1));
    }
    return virtual__emit(row);
}

/* Where in its unique index a foreign key's column is. */
static int
position_in_index(const struct foreign_key *key, uint16_t at)
{
    int position = 0;
    while (key->referenced_index->columns[position] != key->referenced_columns[at]) {
        position++;
    }
    return position;
}

enum err
virtual__is_key_column_usage(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t at = 0; at < table->index_count; at++) {
            const struct index *index = &table->indexes[at];
            for (uint16_t c = 0; index->constraint && c < index->column_count; c++) {
                TRY(key_column(row, table, index->name, index->columns[c], c, -1));
            }
        }
        for (uint16_t at = 0; at < table->foreign_count; at++) {
            const struct foreign_key *key = &table->foreign[at];
            for (uint16_t c = 0; c < key->column_count; c++) {
                TRY(key_column(
                    row, table, key->name, key->columns[c], c, position_in_index(key, c)));
            }
        }
    }
    return ERR_OK;
}

enum err
virtual__is_referential_constraints(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t at = 0; at < table->foreign_count; at++) {
            const struct foreign_key *key = &table->foreign[at];
            virtual__clear(row);
            SET(is_referential_constraints_constraint_catalog, database(row));
            SET(is_referential_constraints_constraint_schema, virtual__text(table->schema_name));
            SET(is_referential_constraints_constraint_name, virtual__text(key->name));
            if (key->referenced_index->constraint) {
                SET(is_referential_constraints_unique_constraint_catalog, database(row));
                SET(is_referential_constraints_unique_constraint_schema,
                    virtual__text(key->referenced_table->schema_name));
                SET(is_referential_constraints_unique_constraint_name,
                    virtual__text(key->referenced_index->name));
            }
            SET(is_referential_constraints_match_option,
                virtual__text(key->full ? "FULL" : "NONE"));
            SET(is_referential_constraints_update_rule,
                virtual__text(foreign_key_action_words(key->on_update)));
            SET(is_referential_constraints_delete_rule,
                virtual__text(foreign_key_action_words(key->on_delete)));
            TRY(virtual__emit(row));
        }
    }
    return ERR_OK;
}

static enum err
check_constraint(
    struct virtual_row *row, const struct relation *table, const char *name, const char *clause)
{
    virtual__clear(row);
    SET(is_check_constraints_constraint_catalog, database(row));
    SET(is_check_constraints_constraint_schema, virtual__text(table->schema_name));
    SET(is_check_constraints_constraint_name, virtual__text(name));
    SET(is_check_constraints_check_clause, virtual__text(clause));
    return virtual__emit(row);
}

enum err
virtual__is_check_constraints(struct virtual_row *row)
{
    struct arena *arena = row->eval->arena;
    const struct relation *table;
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(row->catalog, i)) != NULL; i++) {
        const struct relation of = {.schema_name = type->schema_name};
        for (uint16_t at = 0; at < type->check_count; at++) {
            TRY(check_constraint(row, &of, type->checks[at].name,
                catalog__domain_check_text(row->eval->env, arena, &type->checks[at], false)));
        }
    }
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        bool is_call;
        for (uint16_t at = 0; at < table->check_count; at++) {
            TRY(check_constraint(row, table, table->checks[at].name,
                arena_printf(arena, "(%s)",
                    catalog_expression_text(
                        row->eval->env, arena, table->checks[at].text, false, &is_call))));
        }
        for (int c = 0; table->kind == RELATION_TABLE && c < table->column_count; c++) {
            const struct column *column = &table->columns[c];
            if (column->not_null && !column->dropped) {
                TRY(check_constraint(row, table, not_null_name(row, table, c),
                    arena_printf(arena, "%s IS NOT NULL", column->name)));
            }
        }
    }
    return ERR_OK;
}

/* ---- domains --------------------------------------------------------------------------------- */

static enum err
one_domain(struct virtual_row *row, const struct user_type *domain)
{
    static const int from[] = {is_columns_character_maximum_length,
        is_columns_character_octet_length, is_columns_numeric_precision,
        is_columns_numeric_precision_radix, is_columns_numeric_scale, is_columns_datetime_precision,
        is_columns_interval_type, is_columns_interval_precision};
    static const int to[] = {is_domains_character_maximum_length, is_domains_character_octet_length,
        is_domains_numeric_precision, is_domains_numeric_precision_radix, is_domains_numeric_scale,
        is_domains_datetime_precision, is_domains_interval_type, is_domains_interval_precision};
    enum {
        SIZES = sizeof to / sizeof to[0]
    };
    struct column base = {.typmod = -1};
    struct datum sizes[SIZES];
    base.type = domain->base;
    base.typmod = domain->typmod;
    for (int i = 0; i < SIZES; i++) {
        row->values[from[i]] = datum_null();
    }
    set_sizes(row, &base); /* as those of a column of it */
    for (int i = 0; i < SIZES; i++) {
        sizes[i] = row->values[from[i]];
    }
    virtual__clear(row);
    for (int i = 0; i < SIZES; i++) {
        row->values[to[i]] = sizes[i];
    }
    const struct type *type = type_by_oid(base.type);
    const struct user_type *user = catalog_type(row->catalog, base.type);
    SET(is_domains_domain_catalog, database(row));
    SET(is_domains_domain_schema, virtual__text(domain->schema_name));
    SET(is_domains_domain_name, virtual__text(domain->name));
    SET(is_domains_data_type, virtual__text(type->element != 0 && type->array_oid == 0 ? "ARRAY"
                                            : user != NULL ? "USER-DEFINED"
                                                           : type->sql_name));
    if (domain->default_text != NULL) {
        SET(is_domains_domain_default, virtual__text(catalog_default_text(row->eval->env,
                                           row->eval->arena, domain->default_text)));
    }
    SET(is_domains_udt_catalog, database(row));
    SET(is_domains_udt_schema, virtual__text(user != NULL ? user->schema_name : "pg_catalog"));
    SET(is_domains_udt_name, virtual__text(user != NULL ? user->name : type->name));
    SET(is_domains_dtd_identifier, virtual__text("1"));
    return virtual__emit(row);
}

enum err
virtual__is_domains(struct virtual_row *row)
{
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(row->catalog, i)) != NULL; i++) {
        TRY(type_has_domain(type->oid) ? one_domain(row, type) : ERR_OK);
    }
    return ERR_OK;
}

enum err
virtual__is_domain_constraints(struct virtual_row *row)
{
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t c = 0; c < type->check_count; c++) {
            virtual__clear(row);
            SET(is_domain_constraints_constraint_catalog, database(row));
            SET(is_domain_constraints_constraint_schema, virtual__text(type->schema_name));
            SET(is_domain_constraints_constraint_name, virtual__text(type->checks[c].name));
            SET(is_domain_constraints_domain_catalog, database(row));
            SET(is_domain_constraints_domain_schema, virtual__text(type->schema_name));
            SET(is_domain_constraints_domain_name, virtual__text(type->name));
            SET(is_domain_constraints_is_deferrable, yes_no(false));
            SET(is_domain_constraints_initially_deferred, yes_no(false));
            TRY(virtual__emit(row));
        }
    }
    return ERR_OK;
}

enum err
virtual__is_column_domain_usage(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (int c = 0; c < table->column_count; c++) {
            const struct column *column = &table->columns[c];
            const struct user_type *domain = catalog_type(row->catalog, column->domain);
            if (domain == NULL || column->dropped || (column->domain & 1) != 0) {
                continue;
            }
            virtual__clear(row);
            SET(is_column_domain_usage_domain_catalog, database(row));
            SET(is_column_domain_usage_domain_schema, virtual__text(domain->schema_name));
            SET(is_column_domain_usage_domain_name, virtual__text(domain->name));
            SET(is_column_domain_usage_table_catalog, database(row));
            SET(is_column_domain_usage_table_schema, virtual__text(table->schema_name));
            SET(is_column_domain_usage_table_name, virtual__text(table->name));
            SET(is_column_domain_usage_column_name, virtual__text(column->name));
            TRY(virtual__emit(row));
        }
    }
    return ERR_OK;
}

static enum err
constraint_column(struct virtual_row *row, const struct relation *constrained, const char *name,
    const struct relation *table, uint16_t column)
{
    virtual__clear(row);
    SET(is_constraint_column_usage_table_catalog, database(row));
    SET(is_constraint_column_usage_table_schema, virtual__text(table->schema_name));
    SET(is_constraint_column_usage_table_name, virtual__text(table->name));
    SET(is_constraint_column_usage_column_name, virtual__text(table->columns[column].name));
    SET(is_constraint_column_usage_constraint_catalog, database(row));
    SET(is_constraint_column_usage_constraint_schema, virtual__text(constrained->schema_name));
    SET(is_constraint_column_usage_constraint_name, virtual__text(name));
    return virtual__emit(row);
}

/* A foreign key uses the columns it refers to. */
enum err
virtual__is_constraint_column_usage(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t at = 0; at < table->index_count; at++) {
            const struct index *index = &table->indexes[at];
            for (uint16_t c = 0; index->constraint && c < index->column_count; c++) {
                TRY(constraint_column(row, table, index->name, table, index->columns[c]));
            }
        }
        for (uint16_t at = 0; at < table->foreign_count; at++) {
            const struct foreign_key *key = &table->foreign[at];
            for (uint16_t c = 0; c < key->column_count; c++) {
                TRY(constraint_column(
                    row, table, key->name, key->referenced_table, key->referenced_columns[c]));
            }
        }
    }
    return ERR_OK;
}
