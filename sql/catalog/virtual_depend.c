/*
 * sql/catalog/virtual_depend.c - pg_depend and pg_rewrite: what needs what.
 *
 * Nothing of this is stored. Who dumps a database looks here for the order and for what belongs
 * together (sequences and their columns), drivers for the index of a foreign key.
 */
#include "parser/deparse.h"
#include "parser/parser.h"
#include "sql/catalog/index_key.h"
#include "sql/catalog/virtual_internal.h"

enum {
    CLASS_ATTRDEF = 2604,
    CLASS_REWRITE = 2618,
};

#define SET(column, value) (row->values[column] = (value))

struct object {
    oid_t class_oid, oid;
    int32_t sub; /* a column, from 1; 0: all */
};

static enum err
depend(struct virtual_row *row, struct object what, struct object on, char type)
{
    virtual__clear(row);
    SET(pg_depend_classid, datum_int(what.class_oid));
    SET(pg_depend_objid, datum_int(what.oid));
    SET(pg_depend_objsubid, datum_int(what.sub));
    SET(pg_depend_refclassid, datum_int(on.class_oid));
    SET(pg_depend_refobjid, datum_int(on.oid));
    SET(pg_depend_refobjsubid, datum_int(on.sub));
    SET(pg_depend_deptype, datum_int(type));
    return virtual__emit(row);
}

static struct object
relation_object(oid_t oid, int32_t column)
{
    return (struct object){CATALOG_CLASS_RELATION, oid, column};
}

/* ---- views ----------------------------------------------------------------------------------- */

/* Tables of a view's query, each once. */
struct tables {
    const struct catalog *catalog;
    struct arena *arena;
    const struct relation **items;
    uint32_t count, capacity;
};

/* The text of a view names every table with its schema (bind/view.c). */
static const char *
note_table(void *arg, const struct ast_table *table)
{
    struct tables *tables = arg;
    const struct relation *relation =
        table->schema == NULL ? NULL
                              : catalog_relation(tables->catalog, table->schema, table->name);
    for (uint32_t i = 0; i < tables->count && relation != NULL; i++) {
        relation = tables->items[i] == relation ? NULL : relation;
    }
    if (relation == NULL) {
        return NULL;
    }
    if (tables->count == tables->capacity) {
        uint32_t wanted = tables->capacity == 0 ? 8 : 2 * tables->capacity;
        const struct relation **bigger = arena_array(tables->arena, wanted, sizeof *bigger);
        if (tables->count > 0) {
            memcpy(bigger, tables->items, tables->count * sizeof *bigger);
        }
        tables->items = bigger;
        tables->capacity = wanted;
    }
    tables->items[tables->count++] = relation;
    return NULL;
}

static void
find_tables(const struct relation *view, struct tables *tables)
{
    struct ast_list *statements = NULL;
    struct diag unheard;
    if (view->view_text == NULL || parser_parse(tables->arena, view->view_text,
                                       strlen(view->view_text), &statements, &unheard) != ERR_OK) {
        return;
    }
    const struct ast_node *body = ast_as_statement(ast_list_at(statements, 0))->body;
    if (body->kind == AST_SELECT) {
        struct buffer text = {0};
        const struct parser_deparse style = {
            .arena = tables->arena, .arg = tables, .table = note_table};
        parser_deparse_query(&style, ast_as_select(body), &text);
        buffer_destroy(&text);
    }
}

/* Unlike any default's (virtual__default_oid), and stable. */
static oid_t
rule_oid(const struct relation *view)
{
    return view->oid << 11;
}

static enum err
depend_view(struct virtual_row *row, const struct relation *view)
{
    struct object rule = {CLASS_REWRITE, rule_oid(view), 0};
    struct tables tables = {.catalog = row->catalog, .arena = row->eval->arena};
    find_tables(view, &tables);
    TRY(depend(row, rule, relation_object(view->oid, 0), 'i'));
    for (uint32_t i = 0; i < tables.count; i++) {
        const struct relation *table = tables.items[i];
        if (table->kind == RELATION_VIRTUAL) {
            continue; /* pinned: it cannot go */
        }
        TRY(depend(row, rule, relation_object(table->oid, 0), 'n'));
    }
    return ERR_OK;
}

enum err
virtual__pg_rewrite(struct virtual_row *row)
{
    const struct relation *view;
    for (size_t i = 0; (view = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (view->kind != RELATION_VIEW && !relation_is_materialized(view)) {
            continue;
        }
        virtual__clear(row);
        SET(pg_rewrite_oid, datum_int(rule_oid(view)));
        SET(pg_rewrite_rulename, virtual__text("_RETURN"));
        SET(pg_rewrite_ev_class, datum_int(view->oid));
        SET(pg_rewrite_ev_type, datum_int('1'));
        SET(pg_rewrite_ev_enabled, datum_int('O'));
        SET(pg_rewrite_is_instead, datum_bool(true));
        SET(pg_rewrite_ev_qual, virtual__text("<>"));
        SET(pg_rewrite_ev_action, virtual__text(view->view_text == NULL ? "" : view->view_text));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static enum err
depend_columns(struct virtual_row *row, struct object what, oid_t table, const uint16_t *columns,
    uint16_t count, char type)
{
    for (uint16_t i = 0; i < count; i++) {
        if ((columns[i] & INDEX_DERIVED) == 0) {
            TRY(depend(row, what, relation_object(table, columns[i] + 1), type));
        }
    }
    return ERR_OK;
}

static enum err
depend_default(struct virtual_row *row, const struct relation *table, uint16_t column)
{
    const char *text = table->columns[column].default_text;
    struct object what = {CLASS_ATTRDEF, virtual__default_oid(table->oid, column), 0};
    const struct relation *sequence;
    TRY(depend(row, what, relation_object(table->oid, column + 1), 'a'));
    for (size_t i = 0; (sequence = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (sequence->kind == RELATION_SEQUENCE && catalog_default_calls(text, sequence->oid)) {
            TRY(depend(row, what, relation_object(sequence->oid, 0), 'n'));
        }
    }
    return ERR_OK;
}

static enum err
depend_index(struct virtual_row *row, const struct relation *table, const struct index *index)
{
    struct object what = relation_object(index->oid, 0);
    if (index->constraint) {
        struct object constraint = {CATALOG_CLASS_CONSTRAINT, index->oid, 0};
        TRY(depend_columns(row, constraint, table->oid, index->columns, index->column_count, 'a'));
        return depend(row, what, constraint, 'i');
    }
    if (index_has_derived(index)) {
        TRY(depend(row, what, relation_object(table->oid, 0), 'a'));
    }
    return depend_columns(row, what, table->oid, index->columns, index->column_count, 'a');
}

static enum err
depend_table(struct virtual_row *row, const struct relation *table)
{
    for (uint16_t c = 0; c < table->column_count; c++) {
        if (table->columns[c].default_text != NULL && table->columns[c].identity == 0) {
            TRY(depend_default(row, table, c));
        }
    }
    for (uint16_t i = 0; i < table->index_count; i++) {
        TRY(depend_index(row, table, &table->indexes[i]));
    }
    for (uint16_t i = 0; i < table->check_count; i++) {
        struct object check = {CATALOG_CLASS_CONSTRAINT, table->checks[i].oid, 0};
        TRY(depend(row, check, relation_object(table->oid, 0), 'a'));
    }
    for (uint16_t i = 0; i < table->foreign_count; i++) {
        const struct foreign_key *key = &table->foreign[i];
        struct object what = {CATALOG_CLASS_CONSTRAINT, key->oid, 0};
        TRY(depend_columns(row, what, table->oid, key->columns, key->column_count, 'a'));
        TRY(depend_columns(
            row, what, key->referenced, key->referenced_columns, key->column_count, 'n'));
        TRY(depend(row, what, relation_object(key->index, 0), 'n'));
    }
    return ERR_OK;
}

static enum err
depend_relation(struct virtual_row *row, const struct relation *relation)
{
    struct object what = relation_object(relation->oid, 0);
    TRY(depend(row, what, (struct object){CATALOG_CLASS_SCHEMA, relation->schema, 0}, 'n'));
    for (uint16_t c = 0; c < relation->column_count; c++) {
        oid_t declared = column_declared_type(&relation->columns[c]);
        const struct user_type *type = catalog_type(row->catalog, declared);
        if (type != NULL && !relation->columns[c].dropped) {
            TRY(depend(row, relation_object(relation->oid, c + 1),
                (struct object){CATALOG_CLASS_TYPE, declared, 0}, 'n'));
        }
    }
    const struct sequence *sequence = relation->sequence;
    if (sequence != NULL && sequence->owner_table != 0) {
        TRY(depend(row, what, relation_object(sequence->owner_table, sequence->owner_column + 1),
            sequence->identity ? 'i' : 'a'));
    }
    if (relation_is_materialized(relation)) {
        TRY(depend_table(row, relation));
    }
    return relation->view_text != NULL ? depend_view(row, relation) : depend_table(row, relation);
}

enum err
virtual__pg_depend(struct virtual_row *row)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (relation->kind != RELATION_VIRTUAL) {
            TRY(depend_relation(row, relation));
        }
    }
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(row->catalog, i)) != NULL; i++) {
        TRY(depend(row, (struct object){CATALOG_CLASS_TYPE, type->oid, 0},
            (struct object){CATALOG_CLASS_SCHEMA, type->schema, 0}, 'n'));
        TRY(depend(row, (struct object){CATALOG_CLASS_TYPE, type->array_oid, 0},
            (struct object){CATALOG_CLASS_TYPE, type->oid, 0}, 'i'));
        if (catalog_type(row->catalog, type->base) != NULL) {
            TRY(depend(row, (struct object){CATALOG_CLASS_TYPE, type->oid, 0},
                (struct object){CATALOG_CLASS_TYPE, type->base, 0}, 'n'));
        }
        for (uint16_t c = 0; c < type->check_count; c++) {
            TRY(depend(row, (struct object){CATALOG_CLASS_CONSTRAINT, type->checks[c].oid, 0},
                (struct object){CATALOG_CLASS_TYPE, type->oid, 0}, 'a'));
        }
    }
    return ERR_OK;
}
