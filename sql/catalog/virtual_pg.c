/* sql/catalog/virtual_pg.c - the rows of pg_catalog. */
#include <stdio.h>

#include "parser/parser.h"
#include "sql/catalog/virtual_internal.h"

enum {
    AM_HEAP = 2,
    AM_BTREE = 403,
    COLLATION_DEFAULT = 100,
    COLLATION_C = 950,
    LANGUAGE_INTERNAL = 12,
    ROLE_BOOTSTRAP = 10,
    TABLESPACE_DEFAULT = 1663,
    TABLESPACE_GLOBAL = 1664,
    OID_CASTS = 12300, /* and on: as many as there are */
    ENCODING_UTF8 = 6,
};

#define SET(column, value) (row->values[column] = (value))

/* ---- shared bits
 * ----------------------------------------------------------------------------------- */

static oid_t
collation_of(oid_t type)
{
    switch (type) {
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
        return COLLATION_DEFAULT;
    case TYPE_NAME:
        return COLLATION_C;
    default:
        return 0;
    }
}

static char
align_of(const struct type *type)
{
    switch (type->size) {
    case 1:
        return 'c';
    case 2:
        return 's';
    case 8:
        return 'd';
    case 16:
        return type->oid == TYPE_UUID ? 'c' : 'd';
    case 64:
        return 'c';
    default:
        return 'i';
    }
}

static char
storage_of(const struct type *type)
{
    if (type->size > 0) {
        return 'p';
    }
    return type->oid == TYPE_NUMERIC ? 'm' : 'x';
}

/* Of 0-based columns: an int2vector, or smallint[]. */
static struct datum
column_numbers(struct arena *arena, const uint16_t *columns, uint16_t count, bool array)
{
    struct datum numbers[INDEX_COLUMNS_MAX];
    for (uint16_t i = 0; i < count; i++) {
        numbers[i] = datum_int(columns[i] < INDEX_DERIVED ? columns[i] + 1 : 0);
    }
    return array_make(arena, TYPE_INT2, !array, numbers, count);
}

oid_t
virtual__default_oid(oid_t relation, uint16_t column)
{
    return (relation << 11) + column + 1U;
}

char
virtual__shown_kind(const struct relation *relation)
{
    return relation->virtual_table != NULL      ? relation->virtual_table->kind
           : relation_is_materialized(relation) ? 'm'
                                                : relation->kind;
}

static int64_t
row_estimate(const struct catalog *catalog, tree_id_t tree, int64_t *pages)
{
    uint64_t leaves = 0;
    uint64_t rows = 0;
    txn_tree_size(catalog->db, tree, &leaves, &rows);
    *pages = (int64_t)leaves;
    return (int64_t)rows;
}

/* ---- pg_class, pg_attribute
 * -------------------------------------------------------------------------- */

static void
class_common(struct virtual_row *row, oid_t oid, const char *name, const struct relation *relation)
{
    virtual__clear(row);
    SET(pg_class_oid, datum_int(oid));
    SET(pg_class_relname, virtual__text(name));
    SET(pg_class_relnamespace, datum_int(relation->schema));
    SET(pg_class_relowner, datum_int(relation->owner));
    SET(pg_class_relfilenode, datum_int(oid));
    SET(pg_class_relpersistence, datum_int(relation_is_temporary(relation) ? 't' : 'p'));
    SET(pg_class_relispopulated, datum_bool(true));
    SET(pg_class_reltuples, datum_float(-1));
    SET(pg_class_relfrozenxid, virtual__text("0"));
    SET(pg_class_relminmxid, virtual__text("0"));
}

static enum err
class_relation(struct virtual_row *row, const struct relation *relation)
{
    class_common(row, relation->oid, relation->name, relation);
    char kind = virtual__shown_kind(relation);
    SET(pg_class_relkind, datum_int(kind));
    SET(pg_class_relam, datum_int(kind == 'r' || kind == 'm' ? AM_HEAP : 0));
    SET(pg_class_relnatts, datum_int(relation->column_count));
    SET(pg_class_relchecks, datum_int(relation->check_count));
    SET(pg_class_relhasindex, datum_bool(relation->index_count > 0));
    SET(pg_class_relhastriggers,
        datum_bool(relation->foreign_count > 0 || relation->referencing_count > 0));
    SET(pg_class_relhasrules, datum_bool(kind == 'v' || kind == 'm'));
    SET(pg_class_relispopulated, datum_bool(kind != 'm' || relation->populated));
    SET(pg_class_relreplident, datum_int(relation->kind == RELATION_TABLE ? 'd' : 'n'));
    SET(pg_class_relacl, catalog_acl(row->eval->arena, row->catalog, CATALOG_CLASS_RELATION,
                             relation->oid, relation->owner));
    if (relation->check_option != 0) {
        const char *option =
            relation->check_option == 'l' ? "check_option=local" : "check_option=cascaded";
        struct datum options = virtual__text(option);
        SET(pg_class_reloptions, array_make(row->eval->arena, TYPE_TEXT, false, &options, 1));
    }
    if (relation->kind == RELATION_TABLE) {
        int64_t pages;
        int64_t rows = row_estimate(row->catalog, relation->tree, &pages);
        SET(pg_class_relpages, datum_int(pages > INT32_MAX ? INT32_MAX : pages));
        SET(pg_class_reltuples, datum_float((double)(float)rows));
    }
    return virtual__emit(row);
}

static enum err
class_index(struct virtual_row *row, const struct relation *table, const struct index *index)
{
    class_common(row, index->oid, index->name, table);
    SET(pg_class_relkind, datum_int(RELATION_INDEX));
    SET(pg_class_relam, datum_int(AM_BTREE));
    SET(pg_class_relnatts, datum_int(index->column_count + index->included_count));
    SET(pg_class_relreplident, datum_int('n'));
    int64_t pages;
    int64_t rows = row_estimate(row->catalog, index->tree, &pages);
    SET(pg_class_relpages, datum_int(pages > INT32_MAX ? INT32_MAX : pages));
    SET(pg_class_reltuples, datum_float((double)(float)rows));
    return virtual__emit(row);
}

enum err
virtual__pg_class(struct virtual_row *row)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        TRY(class_relation(row, relation));
        for (uint16_t at = 0; at < relation->index_count; at++) {
            TRY(class_index(row, relation, &relation->indexes[at]));
        }
    }
    return ERR_OK;
}

static enum err
attribute(struct virtual_row *row, oid_t relation, int number, const struct column *column)
{
    const struct type *type = type_by_oid(column->type);
    virtual__clear(row);
    SET(pg_attribute_attrelid, datum_int(relation));
    SET(pg_attribute_attname, virtual__text(column->name));
    SET(pg_attribute_atttypid, datum_int(column->dropped ? 0 : column_declared_type(column)));
    SET(pg_attribute_attstattarget, datum_int(-1));
    SET(pg_attribute_attlen, datum_int(type->size));
    SET(pg_attribute_attnum, datum_int(number));
    SET(pg_attribute_attcacheoff, datum_int(-1));
    SET(pg_attribute_atttypmod, datum_int(column_declared_typmod(column)));
    SET(pg_attribute_attbyval, datum_bool(!type->by_reference));
    SET(pg_attribute_attalign, datum_int(align_of(type)));
    SET(pg_attribute_attstorage, datum_int(storage_of(type)));
    SET(pg_attribute_attnotnull, datum_bool(column->not_null));
    SET(pg_attribute_atthasdef, datum_bool(column->default_text != NULL && column->identity == 0));
    if (column->identity != 0) {
        SET(pg_attribute_attidentity, datum_int(column->identity));
    }
    if (column->generated) {
        SET(pg_attribute_attgenerated, datum_int('s'));
    }
    SET(pg_attribute_attisdropped, datum_bool(column->dropped));
    SET(pg_attribute_attislocal, datum_bool(true));
    SET(pg_attribute_attcollation, datum_int(collation_of(column->type)));
    return virtual__emit(row);
}

static struct column
index_column(const struct relation *relation, uint16_t number)
{
    if (number < INDEX_DERIVED) {
        return relation->columns[number];
    }
    const struct derived *derived = &relation->derived[number - INDEX_DERIVED];
    return (struct column){.name = derived->name, .type = derived->type, .typmod = derived->typmod};
}

enum err
virtual__pg_attribute(struct virtual_row *row)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t c = 0; c < relation->column_count; c++) {
            TRY(attribute(row, relation->oid, c + 1, &relation->columns[c]));
        }
        for (uint16_t at = 0; at < relation->index_count; at++) {
            const struct index *index = &relation->indexes[at];
            for (uint16_t c = 0; c < index->column_count + index->included_count; c++) {
                struct column column = index_column(relation, index->columns[c]);
                column.not_null = false;
                column.default_text = NULL;
                column.identity = 0;
                column.generated = false;
                TRY(attribute(row, index->oid, c + 1, &column));
            }
        }
    }
    return ERR_OK;
}

enum err
virtual__pg_attrdef(struct virtual_row *row)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t c = 0; c < relation->column_count; c++) {
            const struct column *column = &relation->columns[c];
            if (column->default_text == NULL || column->identity != 0) {
                continue;
            }
            virtual__clear(row);
            SET(pg_attrdef_oid, datum_int(virtual__default_oid(relation->oid, c)));
            SET(pg_attrdef_adrelid, datum_int(relation->oid));
            SET(pg_attrdef_adnum, datum_int(c + 1));
            SET(pg_attrdef_adbin, virtual__text(catalog_default_text(
                                      row->eval->env, row->eval->arena, column->default_text)));
            TRY(virtual__emit(row));
        }
    }
    return ERR_OK;
}

/* ---- pg_namespace, pg_type, pg_proc
 * ------------------------------------------------------------------ */

enum err
virtual__pg_namespace(struct virtual_row *row)
{
    struct catalog_entry entry;
    for (size_t i = 0; catalog_schema_at(row->catalog, i, &entry); i++) {
        virtual__clear(row);
        SET(pg_namespace_oid, datum_int(entry.oid));
        SET(pg_namespace_nspname, virtual__text(entry.name));
        SET(pg_namespace_nspowner, datum_int(entry.owner));
        SET(pg_namespace_nspacl, catalog_schema_acl(row->eval->arena, row->catalog, &entry));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

static void
set_type_functions(struct virtual_row *row, const struct type *type)
{
#define TYPE_FUNCTIONS(type, in, in_name, out, out_name, receive, receive_name, send, send_name) \
    {type, {in, out, receive, send}},
    static const struct {
        oid_t type;
        oid_t functions[4];
    } known[] = {
#include "sql/catalog/type_functions.inc"
    };
#undef TYPE_FUNCTIONS
    bool array = type->element != 0 && type->array_oid == 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].type == (array ? (oid_t)TYPE_ANYARRAY : type->oid)) {
            SET(pg_type_typinput, datum_int(known[i].functions[0]));
            SET(pg_type_typoutput, datum_int(known[i].functions[1]));
            SET(pg_type_typreceive, datum_int(known[i].functions[2]));
            SET(pg_type_typsend, datum_int(known[i].functions[3]));
        }
    }
}

/* What sets a domain apart; the rest it has from its base type. */
static void
set_domain(struct virtual_row *row, const struct user_type *user)
{
    SET(pg_type_typtype, datum_int('d'));
    SET(pg_type_typtypmod, datum_int(user->typmod));
    SET(pg_type_typbasetype, datum_int(user->base));
    SET(pg_type_typnotnull, datum_bool(user->not_null));
    SET(pg_type_typelem, datum_int(0));
    if (user->default_text != NULL) {
        SET(pg_type_typdefault, virtual__text(catalog_default_text(
                                    row->eval->env, row->eval->arena, user->default_text)));
    }
}

/* A user's type and its array type. */
static enum err
user_type_rows(struct virtual_row *row, const struct user_type *user)
{
    static const struct type enum_in_out[2] = {{.oid = TYPE_USER_FIRST}, {.element = 1}};
    for (oid_t oid = user->oid; oid <= user->array_oid; oid++) {
        bool array = oid == user->array_oid, domain = !array && type_has_domain(oid);
        int32_t typmod = -1;
        const struct type *type =
            type_by_oid(domain ? catalog_base_type(row->catalog, oid, &typmod) : oid);
        virtual__clear(row);
        SET(pg_type_oid, datum_int(oid));
        SET(pg_type_typname,
            virtual__text(array ? arena_printf(row->eval->arena, "_%s", user->name) : user->name));
        SET(pg_type_typnamespace, datum_int(user->schema));
        SET(pg_type_typowner, datum_int(user->owner));
        SET(pg_type_typisdefined, datum_bool(true));
        SET(pg_type_typdelim, datum_int(','));
        SET(pg_type_typtypmod, datum_int(-1));
        SET(pg_type_typtype, datum_int(array ? 'b' : 'e'));
        SET(pg_type_typcollation,
            datum_int(collation_of(
                array ? catalog_base_type(row->catalog, user->oid, &typmod) : type->oid)));
        SET(pg_type_typlen, datum_int(type->size));
        SET(pg_type_typbyval, datum_bool(!type->by_reference));
        SET(pg_type_typcategory, datum_int(type->category));
        SET(pg_type_typelem, datum_int(type->element));
        SET(pg_type_typarray, datum_int(array ? 0 : user->array_oid));
        SET(pg_type_typalign, datum_int(domain ? align_of(type) : 'i'));
        SET(pg_type_typstorage, datum_int(domain ? storage_of(type) : array ? 'x' : 'p'));
        set_type_functions(row, domain ? type : &enum_in_out[array ? 1 : 0]);
        if (domain) {
            set_domain(row, user);
        }
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_type(struct virtual_row *row)
{
    size_t count;
    const struct type *types = type_all(&count);
    for (size_t i = 0; i < count; i++) {
        const struct type *type = &types[i];
        bool array = type->element != 0 && type->array_oid == 0;
        virtual__clear(row);
        SET(pg_type_oid, datum_int(type->oid));
        SET(pg_type_typname, virtual__text(type->name));
        SET(pg_type_typnamespace, datum_int(NAMESPACE_PG_CATALOG));
        SET(pg_type_typowner, datum_int(ROLE_BOOTSTRAP));
        SET(pg_type_typisdefined, datum_bool(true));
        SET(pg_type_typdelim, datum_int(','));
        SET(pg_type_typtypmod, datum_int(-1));
        SET(pg_type_typtype, datum_int(type->category == CATEGORY_PSEUDO ? 'p' : 'b'));
        SET(pg_type_typcollation, datum_int(collation_of(array ? type->element : type->oid)));
        SET(pg_type_typlen, datum_int(type->size));
        SET(pg_type_typbyval, datum_bool(!type->by_reference));
        SET(pg_type_typcategory, datum_int(type->category));
        SET(pg_type_typispreferred, datum_bool(type->preferred));
        SET(pg_type_typelem, datum_int(type->oid == TYPE_NAME ? TYPE_CHAR : type->element));
        SET(pg_type_typarray, datum_int(type->array_oid));
        SET(pg_type_typalign, datum_int(align_of(type)));
        SET(pg_type_typstorage, datum_int(storage_of(type)));
        set_type_functions(row, type);
        TRY(virtual__emit(row));
    }
    const struct user_type *user;
    for (size_t i = 0; (user = catalog_type_at(row->catalog, i)) != NULL; i++) {
        TRY(user_type_rows(row, user));
    }
    return ERR_OK;
}

static char
function_kind(const struct function *function)
{
    return (function->flags & FUNCTION_AGGREGATE) != 0 ? 'a'
           : (function->flags & FUNCTION_WINDOW) != 0  ? 'w'
                                                       : 'f';
}

static char
function_volatility(const struct function *function)
{
    if ((function->flags & FUNCTION_VOLATILE) != 0) {
        return 'v';
    }
    return (function->flags & FUNCTION_STABLE) != 0 ? 's' : 'i';
}

static oid_t
declared_type(struct virtual_row *row, const struct ast_type *type)
{
    const struct type *found =
        type == NULL ? NULL : type_named(row->eval->env, type->schema, type->name);
    return found == NULL ? 0 : type->array_dimensions > 0 ? found->array_oid : found->oid;
}

enum {
    ROUTINE_LIST_MAX = 300, /* parameters and columns of one that are shown */
};

/* What is said of each parameter, and of RETURNS TABLE's columns. */
struct routine_lists {
    struct datum all_types[ROUTINE_LIST_MAX], modes[ROUTINE_LIST_MAX], names[ROUTINE_LIST_MAX];
    struct datum types[ROUTINE_LIST_MAX]; /* of input parameters */
    uint32_t count, inputs, outs, defaults;
    bool named;
    oid_t variadic, out;
};

static void
add_parameter(struct virtual_row *row, const struct ast_function_param *param, char mode,
    struct routine_lists *lists)
{
    if (lists->count == ROUTINE_LIST_MAX) {
        return;
    }
    oid_t type = declared_type(row, param->type);
    bool input = mode == 'i' || mode == 'b' || mode == 'v';
    uint32_t at = lists->count++;
    lists->all_types[at] = datum_int(type);
    lists->modes[at] = datum_int(mode);
    lists->names[at] = virtual__text(param->name == NULL ? "" : param->name);
    lists->named |= param->name != NULL;
    lists->defaults += param->value != NULL;
    if (input) {
        lists->types[lists->inputs++] = datum_int(type);
    }
    if (mode != 'i' && mode != 'v') {
        lists->outs++;
        lists->out = type;
    }
    if (mode == 'v') {
        lists->variadic = type == TYPE_ANYARRAY ? TYPE_ANYELEMENT : type_element(type);
    }
}

static oid_t
routine_result_type(struct virtual_row *row, const struct ast_create_function *definition,
    const struct routine_lists *lists)
{
    if (definition->result != NULL) {
        return declared_type(row, definition->result);
    }
    if (definition->kind == 'p' ? lists->outs > 0 : lists->outs > 1) {
        return TYPE_RECORD;
    }
    return lists->outs == 0 ? TYPE_VOID : lists->out;
}

static void
set_routine_config(struct virtual_row *row, const struct ast_create_function *definition)
{
    struct arena *arena = row->eval->arena;
    uint32_t count = 0;
    struct datum *items =
        arena_array(arena, ast_list_count(definition->options) + 1U, sizeof *items);
    AST_FOREACH(at, definition->options)
    {
        const struct ast_option *option = ast_as_option(*at);
        if (strcmp(option->name, "set") == 0) {
            const struct ast_set *set = ast_as_set(option->value);
            items[count++] = virtual__text(
                arena_printf(arena, "%s=%s", set->name, catalog_function_setting(arena, set)));
        }
    }
    if (count > 0) {
        SET(pg_proc_proconfig, array_make(arena, TYPE_TEXT, false, items, count));
    }
}

static enum err
user_function(struct virtual_row *row, const struct user_function *function)
{
    enum {
        LANGUAGE_SQL = 14,
    };
    struct arena *arena = row->eval->arena;
    const struct ast_create_function *definition = catalog_function_definition(arena, function);
    if (definition == NULL) {
        return ERR_OK;
    }
    struct routine_lists *lists = arena_alloc(arena, sizeof *lists);
    AST_FOREACH(at, definition->params)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        add_parameter(row, param, param->mode, lists);
    }
    AST_FOREACH(at, definition->columns)
    {
        add_parameter(row, ast_as_function_param(*at), 't', lists);
    }
    virtual__clear(row);
    SET(pg_proc_oid, datum_int(function->oid));
    SET(pg_proc_proname, virtual__text(function->name));
    SET(pg_proc_pronamespace, datum_int(function->schema));
    SET(pg_proc_proowner, datum_int(function->owner));
    SET(pg_proc_prolang, datum_int(LANGUAGE_SQL));
    SET(pg_proc_procost, datum_float(catalog_function_number(definition, "cost", 100)));
    SET(pg_proc_prorows,
        datum_float(
            definition->returns_set ? catalog_function_number(definition, "rows", 1000) : 0));
    SET(pg_proc_provariadic, datum_int(lists->variadic));
    SET(pg_proc_prokind, datum_int(definition->kind));
    SET(pg_proc_prosecdef, datum_bool(catalog_function_is(definition, "definer")));
    SET(pg_proc_proleakproof, datum_bool(catalog_function_is(definition, "leakproof")));
    SET(pg_proc_proisstrict, datum_bool(catalog_function_is(definition, "strict")));
    SET(pg_proc_proretset, datum_bool(definition->returns_set));
    SET(pg_proc_provolatile, datum_int(catalog_function_is(definition, "immutable") ? 'i'
                                       : catalog_function_is(definition, "stable")  ? 's'
                                                                                    : 'v'));
    SET(pg_proc_proparallel, datum_int(catalog_function_parallel(definition)));
    SET(pg_proc_pronargs, datum_int(lists->inputs));
    SET(pg_proc_pronargdefaults, datum_int(lists->defaults));
    SET(pg_proc_prorettype, datum_int(routine_result_type(row, definition, lists)));
    SET(pg_proc_proargtypes, array_make(arena, TYPE_OID, true, lists->types, lists->inputs));
    if (lists->outs > 0 || lists->variadic != 0) {
        SET(pg_proc_proallargtypes,
            array_make(arena, TYPE_OID, false, lists->all_types, lists->count));
        SET(pg_proc_proargmodes, array_make(arena, TYPE_CHAR, false, lists->modes, lists->count));
    }
    if (lists->named) {
        SET(pg_proc_proargnames, array_make(arena, TYPE_TEXT, false, lists->names, lists->count));
    }
    set_routine_config(row, definition);
    SET(pg_proc_prosrc,
        virtual__text(
            catalog_function_is_atomic(definition) ? "" : catalog_function_body(definition)));
    return virtual__emit(row);
}

enum err
virtual__pg_proc(struct virtual_row *row)
{
    size_t count;
    const struct function *functions = function_all(&count);
    for (size_t i = 0; i < count; i++) {
        const struct function *function = &functions[i];
        if ((function->flags & FUNCTION_INTERNAL) != 0 && function->call != NULL) {
            continue;
        }
        struct datum types[FUNCTION_ARGS_MAX];
        for (uint8_t a = 0; a < function->arg_count; a++) {
            types[a] = datum_int(function->args[a]);
        }
        virtual__clear(row);
        SET(pg_proc_oid, datum_int(function->oid));
        SET(pg_proc_proname, virtual__text(function->name));
        SET(pg_proc_pronamespace, datum_int(NAMESPACE_PG_CATALOG));
        SET(pg_proc_proowner, datum_int(ROLE_BOOTSTRAP));
        SET(pg_proc_prolang, datum_int(LANGUAGE_INTERNAL));
        SET(pg_proc_procost, datum_float(1));
        SET(pg_proc_prorows, datum_float((function->flags & FUNCTION_SET) != 0 ? 1000 : 0));
        SET(pg_proc_prokind, datum_int(function_kind(function)));
        SET(pg_proc_proisstrict, datum_bool((function->flags & FUNCTION_STRICT) != 0));
        SET(pg_proc_proretset, datum_bool((function->flags & FUNCTION_SET) != 0));
        SET(pg_proc_provolatile, datum_int(function_volatility(function)));
        SET(pg_proc_proparallel, datum_int('s'));
        SET(pg_proc_pronargs, datum_int(function->arg_count));
        SET(pg_proc_pronargdefaults, datum_int(function->arg_count - function->arg_required));
        SET(pg_proc_prorettype, datum_int(function->result));
        SET(pg_proc_proargtypes,
            array_make(row->eval->arena, TYPE_OID, true, types, function->arg_count));
        SET(pg_proc_prosrc, virtual__text(function->name));
        TRY(virtual__emit(row));
    }
    const struct user_function *function;
    for (size_t i = 0; (function = catalog_function_at(row->catalog, i)) != NULL; i++) {
        TRY(user_function(row, function));
    }
    return ERR_OK;
}

/* The operator of this name and these types; 0: none. */
static oid_t
operator_oid(const char *name, oid_t left, oid_t right)
{
    size_t count = 0;
    const struct operator_def *defs = name == NULL ? NULL : operator_by_name(name, &count);
    for (size_t i = 0; i < count; i++) {
        if (defs[i].left == left && defs[i].right == right) {
            return defs[i].oid;
        }
    }
    return 0;
}

enum err
virtual__pg_operator(struct virtual_row *row)
{
    size_t count;
    const struct operator_def *defs = operator_all(&count);
    for (size_t i = 0; i < count; i++) {
        const struct operator_def *def = &defs[i];
        bool equality = def->name[0] == '=' && def->name[1] == '\0';
        virtual__clear(row);
        SET(pg_operator_oid, datum_int(def->oid));
        SET(pg_operator_oprname, virtual__text(def->name));
        SET(pg_operator_oprnamespace, datum_int(NAMESPACE_PG_CATALOG));
        SET(pg_operator_oprowner, datum_int(ROLE_BOOTSTRAP));
        SET(pg_operator_oprkind, datum_int(def->left == 0 ? 'l' : 'b'));
        SET(pg_operator_oprcanmerge, datum_bool(equality));
        SET(pg_operator_oprcanhash, datum_bool(equality));
        SET(pg_operator_oprleft, datum_int(def->left));
        SET(pg_operator_oprright, datum_int(def->right));
        SET(pg_operator_oprresult, datum_int(def->result));
        SET(pg_operator_oprcom, datum_int(operator_oid(def->commutator, def->right, def->left)));
        SET(pg_operator_oprnegate, datum_int(operator_oid(def->negator, def->left, def->right)));
        SET(pg_operator_oprcode, datum_int(def->function->oid));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_cast(struct virtual_row *row)
{
    struct cast_def cast;
    for (size_t i = 0; cast_at(i, &cast); i++) {
        virtual__clear(row);
        SET(pg_cast_oid, datum_int(OID_CASTS + (int64_t)i));
        SET(pg_cast_castsource, datum_int(cast.from));
        SET(pg_cast_casttarget, datum_int(cast.to));
        SET(pg_cast_castfunc, datum_int(cast.function == NULL ? 0 : cast.function->oid));
        SET(pg_cast_castcontext, datum_int(cast.context == CAST_IMPLICIT     ? 'i'
                                           : cast.context == CAST_ASSIGNMENT ? 'a'
                                                                             : 'e'));
        SET(pg_cast_castmethod, datum_int(cast.function == NULL ? 'b' : 'f'));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

/* ---- pg_index, pg_constraint, pg_indexes
 * -------------------------------------------------------------- */

/* indoption: 1 descending, 2 nulls first; the same bits as ours. */
static struct datum
index_options(struct arena *arena, const struct index *index)
{
    struct datum options[INDEX_COLUMNS_MAX];
    for (uint16_t i = 0; i < index->column_count; i++) {
        options[i] = datum_int(index->flags[i] & (KEY_DESCENDING | KEY_NULLS_FIRST));
    }
    return array_make(arena, TYPE_INT2, true, options, index->column_count);
}

/* As many zeros as the index has columns: there are no operator classes. */
static struct datum
no_oids(struct arena *arena, const struct index *index)
{
    struct datum zeros[INDEX_COLUMNS_MAX];
    memset(zeros, 0, sizeof zeros);
    return array_make(arena, TYPE_OID, true, zeros, index->column_count);
}

/* What pg_get_expr shows: the expressions among the keys; NULL: none. */
static const char *
index_expressions(struct arena *arena, const struct relation *table, const struct index *index)
{
    const char *all = NULL;
    for (uint16_t i = 0; i < index->column_count; i++) {
        if (index->columns[i] >= INDEX_DERIVED) {
            const char *text = table->derived[index->columns[i] - INDEX_DERIVED].text;
            all = all == NULL ? text : arena_printf(arena, "%s, %s", all, text);
        }
    }
    return all;
}

enum err
virtual__pg_index(struct virtual_row *row)
{
    struct arena *arena = row->eval->arena;
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t at = 0; at < table->index_count; at++) {
            const struct index *index = &table->indexes[at];
            virtual__clear(row);
            SET(pg_index_indexrelid, datum_int(index->oid));
            SET(pg_index_indrelid, datum_int(table->oid));
            uint16_t all = (uint16_t)(index->column_count + index->included_count);
            SET(pg_index_indnatts, datum_int(all));
            SET(pg_index_indnkeyatts, datum_int(index->column_count));
            SET(pg_index_indisunique, datum_bool(index->unique));
            SET(pg_index_indnullsnotdistinct, datum_bool(index->nulls_not_distinct));
            SET(pg_index_indisprimary, datum_bool(index->primary));
            SET(pg_index_indimmediate, datum_bool(true));
            SET(pg_index_indisclustered, datum_bool(false));
            SET(pg_index_indisvalid, datum_bool(true));
            SET(pg_index_indisready, datum_bool(true));
            SET(pg_index_indislive, datum_bool(true));
            SET(pg_index_indkey, column_numbers(arena, index->columns, all, false));
            if (index->partial > 0) {
                SET(pg_index_indpred, virtual__text(table->derived[index->partial - 1].text));
            }
            const char *expressions = index_expressions(arena, table, index);
            if (expressions != NULL) {
                SET(pg_index_indexprs, virtual__text(expressions));
            }
            SET(pg_index_indcollation, no_oids(arena, index));
            SET(pg_index_indclass, no_oids(arena, index));
            SET(pg_index_indoption, index_options(arena, index));
            TRY(virtual__emit(row));
        }
    }
    return ERR_OK;
}

static void
constraint_common(
    struct virtual_row *row, oid_t oid, const char *name, const struct relation *table, char type)
{
    virtual__clear(row);
    SET(pg_constraint_oid, datum_int(oid));
    SET(pg_constraint_conname, virtual__text(name));
    SET(pg_constraint_connamespace, datum_int(table->schema));
    SET(pg_constraint_contype, datum_int(type));
    SET(pg_constraint_convalidated, datum_bool(true));
    SET(pg_constraint_conrelid, datum_int(table->oid));
    SET(pg_constraint_confupdtype, datum_int(' '));
    SET(pg_constraint_confdeltype, datum_int(' '));
    SET(pg_constraint_confmatchtype, datum_int(' '));
    SET(pg_constraint_conislocal, datum_bool(true));
    SET(pg_constraint_connoinherit, datum_bool(type != 'c'));
}

static enum err
foreign_constraint(
    struct virtual_row *row, const struct relation *table, const struct foreign_key *key)
{
    struct arena *arena = row->eval->arena;
    constraint_common(row, key->oid, key->name, table, 'f');
    SET(pg_constraint_condeferrable, datum_bool(key->deferrable));
    SET(pg_constraint_condeferred, datum_bool(key->initially_deferred));
    SET(pg_constraint_convalidated, datum_bool(key->valid));
    SET(pg_constraint_conindid, datum_int(key->index));
    SET(pg_constraint_confrelid, datum_int(key->referenced));
    SET(pg_constraint_confupdtype, datum_int(key->on_update));
    SET(pg_constraint_confdeltype, datum_int(key->on_delete));
    SET(pg_constraint_confmatchtype, datum_int(key->full ? 'f' : 's'));
    SET(pg_constraint_conkey, column_numbers(arena, key->columns, key->column_count, true));
    SET(pg_constraint_confkey,
        column_numbers(arena, key->referenced_columns, key->column_count, true));
    if (key->set_count > 0) {
        SET(pg_constraint_confdelsetcols,
            column_numbers(arena, key->set_columns, key->set_count, true));
    }
    return virtual__emit(row);
}

static enum err
domain_constraints(struct virtual_row *row, const struct user_type *domain)
{
    const struct relation of = {.schema = domain->schema};
    for (uint16_t i = 0; i < domain->check_count; i++) {
        const struct check *check = &domain->checks[i];
        constraint_common(row, check->oid, check->name, &of, 'c');
        SET(pg_constraint_contypid, datum_int(domain->oid));
        SET(pg_constraint_conbin, virtual__text(catalog__domain_check_text(
                                      row->eval->env, row->eval->arena, check, false)));
        SET(pg_constraint_convalidated, datum_bool(!check->not_valid));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_constraint(struct virtual_row *row)
{
    const struct user_type *type;
    for (size_t i = 0; (type = catalog_type_at(row->catalog, i)) != NULL; i++) {
        TRY(domain_constraints(row, type));
    }
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t at = 0; at < table->index_count; at++) {
            const struct index *index = &table->indexes[at];
            if (index->constraint) {
                constraint_common(row, index->oid, index->name, table, index->primary ? 'p' : 'u');
                SET(pg_constraint_conindid, datum_int(index->oid));
                SET(pg_constraint_conkey,
                    column_numbers(row->eval->arena, index->columns, index->column_count, true));
                TRY(virtual__emit(row));
            }
        }
        for (uint16_t at = 0; at < table->check_count; at++) {
            const struct check *check = &table->checks[at];
            bool is_call;
            constraint_common(row, check->oid, check->name, table, 'c');
            SET(pg_constraint_conbin, virtual__text(catalog_expression_text(row->eval->env,
                                          row->eval->arena, check->text, false, &is_call)));
            SET(pg_constraint_convalidated, datum_bool(!check->not_valid));
            TRY(virtual__emit(row));
        }
        for (uint16_t at = 0; at < table->foreign_count; at++) {
            TRY(foreign_constraint(row, table, &table->foreign[at]));
        }
    }
    return ERR_OK;
}

enum err
virtual__pg_indexes(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        for (uint16_t at = 0; at < table->index_count; at++) {
            const struct index *index = &table->indexes[at];
            virtual__clear(row);
            SET(pg_indexes_schemaname, virtual__text(table->schema_name));
            SET(pg_indexes_tablename, virtual__text(table->name));
            SET(pg_indexes_indexname, virtual__text(index->name));
            SET(pg_indexes_indexdef, virtual__text(catalog__index_definition(row->eval->env,
                                         row->eval->arena, table, index, 0, false)));
            TRY(virtual__emit(row));
        }
    }
    return ERR_OK;
}

const char *
virtual__role_name(const struct virtual_row *row, oid_t oid)
{
    const struct role *role;
    for (size_t i = 0; (role = catalog_role_at(row->catalog, i)) != NULL; i++) {
        if (role->oid == oid) {
            return role->name;
        }
    }
    return "";
}

enum err
virtual__pg_tables(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (virtual__shown_kind(table) != 'r') {
            continue;
        }
        virtual__clear(row);
        SET(pg_tables_schemaname, virtual__text(table->schema_name));
        SET(pg_tables_tablename, virtual__text(table->name));
        SET(pg_tables_tableowner, virtual__text(virtual__role_name(row, table->owner)));
        SET(pg_tables_hasindexes, datum_bool(table->index_count > 0));
        SET(pg_tables_hasrules, datum_bool(false));
        SET(pg_tables_hastriggers, datum_bool(false));
        SET(pg_tables_rowsecurity, datum_bool(false));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_views(struct virtual_row *row)
{
    const struct relation *view;
    for (size_t i = 0; (view = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (virtual__shown_kind(view) != 'v') {
            continue;
        }
        virtual__clear(row);
        SET(pg_views_schemaname, virtual__text(view->schema_name));
        SET(pg_views_viewname, virtual__text(view->name));
        SET(pg_views_viewowner, virtual__text(virtual__role_name(row, view->owner)));
        const char *text = catalog_view_definition(
            row->eval->arena, row->catalog, row->eval->env->search_path, view, false);
        if (text != NULL) {
            SET(pg_views_definition, virtual__text(text));
        }
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_matviews(struct virtual_row *row)
{
    const struct relation *view;
    for (size_t i = 0; (view = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (!relation_is_materialized(view)) {
            continue;
        }
        virtual__clear(row);
        SET(pg_matviews_schemaname, virtual__text(view->schema_name));
        SET(pg_matviews_matviewname, virtual__text(view->name));
        SET(pg_matviews_matviewowner, virtual__text(virtual__role_name(row, view->owner)));
        SET(pg_matviews_hasindexes, datum_bool(view->index_count > 0));
        SET(pg_matviews_ispopulated, datum_bool(view->populated));
        const char *text = catalog_view_definition(
            row->eval->arena, row->catalog, row->eval->env->search_path, view, false);
        if (text != NULL) {
            SET(pg_matviews_definition, virtual__text(text));
        }
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_stat_user_tables(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (table->kind != RELATION_TABLE) {
            continue;
        }
        int64_t pages;
        virtual__clear(row);
        SET(pg_stat_user_tables_relid, datum_int(table->oid));
        SET(pg_stat_user_tables_schemaname, virtual__text(table->schema_name));
        SET(pg_stat_user_tables_relname, virtual__text(table->name));
        SET(pg_stat_user_tables_n_live_tup,
            datum_int(row_estimate(row->catalog, table->tree, &pages)));
        SET(pg_stat_user_tables_n_mod_since_analyze,
            datum_int((int64_t)atomic_load_explicit(table->changes, memory_order_relaxed)));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

/* Clients look for tables' names here. Blocks are not counted by table. */
enum err
virtual__pg_statio_all_tables(struct virtual_row *row)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        if (virtual__shown_kind(table) != RELATION_TABLE) {
            continue;
        }
        virtual__clear(row);
        SET(pg_statio_all_tables_relid, datum_int(table->oid));
        SET(pg_statio_all_tables_schemaname, virtual__text(table->schema_name));
        SET(pg_statio_all_tables_relname, virtual__text(table->name));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

/* ---- databases, roles, comments
 * ------------------------------------------------------------------------ */

enum err
virtual__pg_database(struct virtual_row *row)
{
    const struct database *entry;
    for (size_t i = 0; (entry = catalog_database_at(row->catalog, i)) != NULL; i++) {
        virtual__clear(row);
        SET(pg_database_oid, datum_int(entry->oid));
        SET(pg_database_datname, virtual__text(entry->name));
        SET(pg_database_datdba, datum_int(entry->owner));
        SET(pg_database_datacl, catalog_acl(row->eval->arena, row->catalog, CATALOG_CLASS_DATABASE,
                                    entry->oid, entry->owner));
        SET(pg_database_encoding, datum_int(ENCODING_UTF8));
        SET(pg_database_datlocprovider, datum_int('c'));
        SET(pg_database_datistemplate, datum_bool(entry->is_template));
        SET(pg_database_datallowconn, datum_bool(!entry->no_connections));
        SET(pg_database_datconnlimit, datum_int(entry->connection_limit));
        SET(pg_database_datfrozenxid, virtual__text("0"));
        SET(pg_database_datminmxid, virtual__text("0"));
        SET(pg_database_dattablespace, datum_int(TABLESPACE_DEFAULT));
        SET(pg_database_datcollate, virtual__text("C"));
        SET(pg_database_datctype, virtual__text("C"));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_default_acl(struct virtual_row *row)
{
    const struct default_access *access;
    const char *name = row->eval->env->database;
    const struct database *own = name == NULL ? NULL : catalog_database(row->catalog, name);
    for (size_t i = 0; (access = catalog_default_access_at(row->catalog, i)) != NULL; i++) {
        if (own == NULL || access->database != own->oid) {
            continue;
        }
        virtual__clear(row);
        SET(pg_default_acl_oid, datum_int(access->oid));
        SET(pg_default_acl_defaclrole, datum_int(access->role));
        SET(pg_default_acl_defaclnamespace, datum_int(access->schema));
        SET(pg_default_acl_defaclobjtype, datum_int(access->kind));
        SET(pg_default_acl_defaclacl, catalog_acl(row->eval->arena, row->catalog,
                                          CATALOG_CLASS_DEFAULT_ACCESS, access->oid, access->role));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_roles(struct virtual_row *row)
{
    const struct role *role;
    for (size_t i = 0; (role = catalog_role_at(row->catalog, i)) != NULL; i++) {
        virtual__clear(row);
        SET(pg_roles_oid, datum_int(role->oid));
        SET(pg_roles_rolname, virtual__text(role->name));
        SET(pg_roles_rolsuper, datum_bool(role->superuser));
        SET(pg_roles_rolinherit, datum_bool(role->inherit));
        SET(pg_roles_rolcreaterole, datum_bool(role->createrole));
        SET(pg_roles_rolcreatedb, datum_bool(role->createdb));
        SET(pg_roles_rolcanlogin, datum_bool(role->login));
        SET(pg_roles_rolreplication, datum_bool(role->replication));
        SET(pg_roles_rolconnlimit, datum_int(role->connection_limit));
        if (role->valid_until != INT64_MAX) {
            SET(pg_roles_rolvaliduntil, datum_int(role->valid_until));
        }
        SET(pg_roles_rolpassword, virtual__text("********"));
        SET(pg_roles_rolbypassrls, datum_bool(role->bypassrls));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_auth_members(struct virtual_row *row)
{
    const struct grant *grant;
    for (size_t i = 0; (grant = catalog_grant_at(row->catalog, i)) != NULL; i++) {
        if (grant->class_oid != CATALOG_CLASS_ROLE) {
            continue;
        }
        virtual__clear(row);
        SET(pg_auth_members_roleid, datum_int(grant->object));
        SET(pg_auth_members_member, datum_int(grant->grantee));
        SET(pg_auth_members_grantor, datum_int(ROLE_SUPERUSER_FIRST));
        SET(pg_auth_members_admin_option, datum_bool(grant->options != 0));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_authid(struct virtual_row *row)
{
    const struct role *role;
    for (size_t i = 0; (role = catalog_role_at(row->catalog, i)) != NULL; i++) {
        virtual__clear(row);
        SET(pg_authid_oid, datum_int(role->oid));
        SET(pg_authid_rolname, virtual__text(role->name));
        SET(pg_authid_rolsuper, datum_bool(role->superuser));
        SET(pg_authid_rolinherit, datum_bool(role->inherit));
        SET(pg_authid_rolcreaterole, datum_bool(role->createrole));
        SET(pg_authid_rolcreatedb, datum_bool(role->createdb));
        SET(pg_authid_rolcanlogin, datum_bool(role->login));
        SET(pg_authid_rolreplication, datum_bool(role->replication));
        if (role->password != NULL) {
            SET(pg_authid_rolpassword, virtual__text(role->password));
        }
        SET(pg_authid_rolbypassrls, datum_bool(role->bypassrls));
        SET(pg_authid_rolconnlimit, datum_int(role->connection_limit));
        if (role->valid_until != INT64_MAX) {
            SET(pg_authid_rolvaliduntil, datum_int(role->valid_until));
        }
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_user(struct virtual_row *row)
{
    const struct role *role;
    for (size_t i = 0; (role = catalog_role_at(row->catalog, i)) != NULL; i++) {
        if (!role->login) {
            continue;
        }
        virtual__clear(row);
        SET(pg_user_usename, virtual__text(role->name));
        SET(pg_user_usesysid, datum_int(role->oid));
        SET(pg_user_usecreatedb, datum_bool(role->superuser));
        SET(pg_user_usesuper, datum_bool(role->superuser));
        SET(pg_user_userepl, datum_bool(role->superuser));
        SET(pg_user_usebypassrls, datum_bool(role->superuser));
        SET(pg_user_passwd, virtual__text("********"));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_db_role_setting(struct virtual_row *row)
{
    /* They stand in the order of database and role. */
    const struct catalog_setting *setting;
    for (size_t i = 0; (setting = catalog_setting_at(row->catalog, i)) != NULL;) {
        struct datum texts[64];
        const struct catalog_setting *at = setting;
        uint32_t count = 0;
        while (at != NULL && at->database == setting->database && at->role == setting->role) {
            char *text = arena_printf(row->eval->arena, "%s=%s", at->name, at->value);
            if (count < sizeof texts / sizeof texts[0]) {
                texts[count++] = datum_bytes(text, strlen(text));
            }
            at = catalog_setting_at(row->catalog, ++i);
        }
        virtual__clear(row);
        SET(pg_db_role_setting_setdatabase, datum_int(setting->database));
        SET(pg_db_role_setting_setrole, datum_int(setting->role));
        SET(pg_db_role_setting_setconfig,
            array_make(row->eval->arena, TYPE_TEXT, false, texts, count));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

static bool
is_shared_class(oid_t class_oid)
{
    return class_oid == CATALOG_CLASS_DATABASE || class_oid == CATALOG_CLASS_ROLE;
}

enum err
virtual__pg_description(struct virtual_row *row)
{
    for (size_t i = 0; i < row->catalog->comment_count; i++) {
        const struct catalog__comment *comment = &row->catalog->comments[i];
        if (is_shared_class(comment->class_oid)) {
            continue;
        }
        SET(pg_description_objoid, datum_int(comment->oid));
        SET(pg_description_classoid, datum_int(comment->class_oid));
        SET(pg_description_objsubid, datum_int(comment->sub));
        SET(pg_description_description, virtual__text(comment->text));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_shdescription(struct virtual_row *row)
{
    for (size_t i = 0; i < row->catalog->comment_count; i++) {
        const struct catalog__comment *comment = &row->catalog->comments[i];
        if (!is_shared_class(comment->class_oid)) {
            continue;
        }
        SET(pg_shdescription_objoid, datum_int(comment->oid));
        SET(pg_shdescription_classoid, datum_int(comment->class_oid));
        SET(pg_shdescription_description, virtual__text(comment->text));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

/* ---- what does not change
 * ------------------------------------------------------------------------------- */

enum err
virtual__pg_am(struct virtual_row *row)
{
    static const struct {
        oid_t oid;
        const char *name;
        char type;
    } methods[] = {{AM_HEAP, "heap", 't'}, {AM_BTREE, "btree", 'i'}};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        virtual__clear(row);
        SET(pg_am_oid, datum_int(methods[i].oid));
        SET(pg_am_amname, virtual__text(methods[i].name));
        SET(pg_am_amtype, datum_int(methods[i].type));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_collation(struct virtual_row *row)
{
    static const struct {
        oid_t oid;
        const char *name;
        char provider;
    } collations[] = {{COLLATION_DEFAULT, "default", 'd'}, {COLLATION_C, "C", 'c'},
        {951, "POSIX", 'c'}, {12547, "ucs_basic", 'c'}};
    for (size_t i = 0; i < sizeof collations / sizeof collations[0]; i++) {
        virtual__clear(row);
        SET(pg_collation_oid, datum_int(collations[i].oid));
        SET(pg_collation_collname, virtual__text(collations[i].name));
        SET(pg_collation_collnamespace, datum_int(NAMESPACE_PG_CATALOG));
        SET(pg_collation_collowner, datum_int(ROLE_BOOTSTRAP));
        SET(pg_collation_collprovider, datum_int(collations[i].provider));
        SET(pg_collation_collisdeterministic, datum_bool(true));
        SET(pg_collation_collencoding, datum_int(-1));
        if (collations[i].provider == 'c') {
            SET(pg_collation_collcollate, virtual__text("C"));
            SET(pg_collation_collctype, virtual__text("C"));
        }
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_tablespace(struct virtual_row *row)
{
    static const struct {
        oid_t oid;
        const char *name;
    } tablespaces[] = {{TABLESPACE_DEFAULT, "pg_default"}, {TABLESPACE_GLOBAL, "pg_global"}};
    for (size_t i = 0; i < sizeof tablespaces / sizeof tablespaces[0]; i++) {
        virtual__clear(row);
        SET(pg_tablespace_oid, datum_int(tablespaces[i].oid));
        SET(pg_tablespace_spcname, virtual__text(tablespaces[i].name));
        SET(pg_tablespace_spcowner, datum_int(ROLE_BOOTSTRAP));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_language(struct virtual_row *row)
{
    virtual__clear(row);
    SET(pg_language_oid, datum_int(LANGUAGE_INTERNAL));
    SET(pg_language_lanname, virtual__text("internal"));
    SET(pg_language_lanowner, datum_int(ROLE_BOOTSTRAP));
    return virtual__emit(row);
}
