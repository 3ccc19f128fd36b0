/*
 * sql/catalog/sequence_functions.c - nextval and its kin; views of sequences; defaults that call
 * nextval.
 *
 * A DEFAULT keeps its sequence by OID, nextval('16400'::regclass), so that renaming the sequence
 * does not break it; whoever shows it puts the name in.
 */
#include <ctype.h>
#include <stdlib.h>

#include "parser/parser.h"
#include "sql/catalog/access.h"
#include "sql/catalog/catalog_internal.h"
#include "sql/catalog/sequence.h"
#include "sql/catalog/virtual_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

static enum err
find_sequence(struct eval *eval, oid_t oid, const struct relation **relation)
{
    const struct catalog *catalog = eval->env->catalog;
    *relation = catalog == NULL ? NULL : catalog_relation_by_oid(catalog, oid);
    if (*relation == NULL) {
        const struct relation *table = NULL;
        const struct index *index =
            catalog == NULL ? NULL : catalog_index_by_oid(catalog, oid, &table);
        return index != NULL ? diag_set(eval->diag, ERR_WRONG_OBJECT_TYPE,
                                   "\"%s\" is not a sequence", index->name)
                             : diag_set(eval->diag, ERR_UNDEFINED_TABLE,
                                   "could not open relation with OID %u", oid);
    }
    return (*relation)->kind == RELATION_SEQUENCE
               ? ERR_OK
               : diag_set(eval->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence",
                     (*relation)->name);
}

/* The same, and the current role has one of these privileges on it. Nobody needs any for his
 * identity columns: having them on the table is enough. */
static enum err
find_allowed(struct eval *eval, oid_t oid, uint32_t privileges, const struct relation **relation)
{
    TRY(find_sequence(eval, oid, relation));
    const struct catalog *catalog = eval->env->catalog;
    if ((*relation)->sequence->identity || eval->env->user == NULL ||
        catalog_relation_privileges(
            catalog, catalog_current_role(catalog, eval->env), *relation, privileges) != 0) {
        return ERR_OK;
    }
    return diag_set(eval->diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied for sequence %s",
        (*relation)->name);
}

FN(nextval)
{
    (void)count;
    const struct relation *relation;
    int64_t value = 0;
    TRY(find_allowed(eval, (oid_t)args[0].i, PRIVILEGE_USAGE | PRIVILEGE_UPDATE, &relation));
    TRY(sequence_next(eval, relation, &value));
    *result = datum_int(value);
    return ERR_OK;
}

FN(currval)
{
    (void)count;
    const struct relation *relation;
    int64_t value = 0;
    TRY(find_allowed(eval, (oid_t)args[0].i, PRIVILEGE_USAGE | PRIVILEGE_SELECT, &relation));
    TRY(sequence_current(eval, relation, &value));
    *result = datum_int(value);
    return ERR_OK;
}

FN(lastval)
{
    (void)args;
    (void)count;
    int64_t value = 0;
    TRY(sequence_last(eval, &value));
    *result = datum_int(value);
    return ERR_OK;
}

FN(setval)
{
    const struct relation *relation;
    TRY(find_allowed(eval, (oid_t)args[0].i, PRIVILEGE_UPDATE, &relation));
    TRY(sequence_set(eval, relation, args[1].i, count < 3 || args[2].i != 0));
    *result = args[1];
    return ERR_OK;
}

FN(last_value)
{
    (void)count;
    const struct relation *relation;
    int64_t value = 0;
    bool called = false;
    TRY(find_sequence(eval, (oid_t)args[0].i, &relation));
    *result = datum_null();
    if (eval->env->sequences != NULL) {
        TRY(sequence_look(eval->task, sequence_session_store(eval->env->sequences), relation,
            &value, &called, eval->diag));
        *result = called ? datum_int(value) : datum_null();
    }
    return ERR_OK;
}

/* tusk_sequence_row(oid): the one row of a sequence read as a table. */
struct sequence_row {
    oid_t oid;
    bool done;
};

static enum err
row_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    (void)eval;
    (void)count;
    struct sequence_row *state = memory;
    *state = (struct sequence_row){.oid = (oid_t)args[0].i};
    return ERR_OK;
}

static enum err
row_next(struct eval *eval, void *memory, struct datum *values, bool *done)
{
    struct sequence_row *state = memory;
    const struct relation *relation;
    int64_t value = 0;
    bool called = false;
    *done = state->done || eval->env->sequences == NULL;
    if (*done) {
        return ERR_OK;
    }
    state->done = true;
    TRY(find_sequence(eval, state->oid, &relation));
    TRY(sequence_look(eval->task, sequence_session_store(eval->env->sequences), relation, &value,
        &called, eval->diag));
    values[0] = datum_int(value);
    values[1] = datum_int(0); /* blocks are made durable before they are used: nothing is ahead */
    values[2] = datum_bool(called);
    return ERR_OK;
}

static const struct set_function sequence_row = {
    .state_size = sizeof(struct sequence_row),
    .start = row_start,
    .next = row_next,
    .column_count = 3,
    .column_names = (const char *const[]){"last_value", "log_cnt", "is_called"},
    .column_types = (const oid_t[]){TYPE_INT8, TYPE_INT8, TYPE_BOOL},
};

/* The name as an identifier in the path's terms. */
static const char *
qualified_name(struct arena *arena, const struct relation *relation)
{
    return arena_printf(arena, "%s.%s", parser_quote_ident(arena, relation->schema_name),
        parser_quote_ident(arena, relation->name));
}

/* pg_get_serial_sequence('table', 'column') */
FN(serial_sequence)
{
    (void)count;
    struct datum table_oid;
    const struct datum name = args[0];
    oid_t oid = 0;
    TRY(value_catalog_hooks->oid(eval, TYPE_REGCLASS, slice_of(name.p, name.size), &oid));
    table_oid = datum_int(oid);
    const struct catalog *catalog = eval->env->catalog;
    const struct relation *table = catalog_relation_by_oid(catalog, (oid_t)table_oid.i);
    const char *column = arena_strndup(eval->arena, (const char *)args[1].p, args[1].size);
    int number = table == NULL ? -1 : relation_column(table, column);
    if (number < 0) {
        return diag_set(eval->diag, ERR_UNDEFINED_COLUMN,
            "column \"%s\" of relation \"%s\" does not exist", column,
            table == NULL ? "" : table->name);
    }
    const struct relation *relation;
    *result = datum_null();
    for (size_t i = 0; (relation = catalog_relation_at(catalog, i)) != NULL; i++) {
        if (relation->kind == RELATION_SEQUENCE && relation->sequence->owner_table == table->oid &&
            relation->sequence->owner_column == number) {
            *result = virtual__text(qualified_name(eval->arena, relation));
            break;
        }
    }
    return ERR_OK;
}

#define VOLATILE (FUNCTION_STRICT | FUNCTION_VOLATILE)
static const struct function functions[] = {
    {"nextval", 1574, TYPE_INT8, 1, 1, VOLATILE, {TYPE_REGCLASS}, nextval, NULL, NULL},
    {"currval", 1575, TYPE_INT8, 1, 1, VOLATILE, {TYPE_REGCLASS}, currval, NULL, NULL},
    {"lastval", 2559, TYPE_INT8, 0, 0, VOLATILE, {0}, lastval, NULL, NULL},
    {"setval", 1576, TYPE_INT8, 2, 2, VOLATILE, {TYPE_REGCLASS, TYPE_INT8}, setval, NULL, NULL},
    {"setval", 1765, TYPE_INT8, 3, 3, VOLATILE, {TYPE_REGCLASS, TYPE_INT8, TYPE_BOOL}, setval, NULL,
        NULL},
    {"pg_sequence_last_value", 4032, TYPE_INT8, 1, 1, VOLATILE, {TYPE_REGCLASS}, last_value, NULL,
        NULL},
    {"tusk_sequence_row", 0, TYPE_RECORD, 1, 1, VOLATILE | FUNCTION_SET, {TYPE_OID}, NULL, NULL,
        &sequence_row},
    {"pg_get_serial_sequence", 1665, TYPE_TEXT, 2, 2, FUNCTION_STRICT | FUNCTION_STABLE,
        {TYPE_TEXT, TYPE_TEXT}, serial_sequence, NULL, NULL},
};

void
catalog__register_sequence_functions(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
}

/* ---- defaults ---------------------------------------------------------------------------------
 */

/* The next nextval('digits' in a text, or NULL; *oid, and where the digits begin and end. */
static const char *
find_call(const char *text, oid_t *oid, const char **digits, const char **end)
{
    static const char call[] = "nextval('";
    while ((text = strstr(text, call)) != NULL) {
        *digits = text + strlen(call);
        char *after;
        unsigned long number = strtoul(*digits, &after, 10);
        if (isdigit((unsigned char)**digits) && *after == '\'' && number <= UINT32_MAX) {
            *oid = (oid_t)number;
            *end = after;
            return text;
        }
        text = *digits;
    }
    return NULL;
}

bool
catalog_default_calls(const char *text, oid_t sequence)
{
    oid_t oid;
    const char *digits, *end;
    while (text != NULL && (text = find_call(text, &oid, &digits, &end)) != NULL) {
        if (oid == sequence) {
            return true;
        }
        text = end;
    }
    return false;
}

const char *
catalog_default_text(const struct eval_env *env, struct arena *arena, const char *text)
{
    const struct catalog *catalog = env->catalog;
    oid_t oid;
    const char *digits, *end;
    bool is_call;
    if (find_call(text, &oid, &digits, &end) == NULL) {
        return catalog_expression_text(env, arena, text, false, &is_call);
    }
    struct buffer shown = {0};
    while (find_call(text, &oid, &digits, &end) != NULL) {
        const struct relation *relation = catalog_relation_by_oid(catalog, oid);
        if (relation == NULL) {
            break;
        }
        buffer_add(&shown, text, (size_t)(digits - text));
        if (catalog_relation_on(catalog, env->search_path, NULL, relation->name) == relation) {
            buffer_add_text(&shown, parser_quote_ident(arena, relation->name));
        } else {
            buffer_add_text(&shown, qualified_name(arena, relation));
        }
        text = end;
    }
    buffer_add_text(&shown, text);
    char *result = arena_strndup(arena, (const char *)shown.data, shown.size);
    buffer_destroy(&shown);
    return catalog_expression_text(env, arena, result, false, &is_call);
}

const struct relation *
catalog_owned_sequence(const struct catalog *catalog, oid_t table, int column)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(catalog, i)) != NULL; i++) {
        if (relation->kind == RELATION_SEQUENCE && relation->sequence->owner_table == table &&
            (column < 0 || relation->sequence->owner_column == column)) {
            return relation;
        }
    }
    return NULL;
}

/* ---- views ------------------------------------------------------------------------------------
 */

#define SET(column, value) (row->values[column] = (value))

enum err
virtual__pg_sequence(struct virtual_row *row)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        const struct sequence *sequence = relation->sequence;
        if (sequence == NULL) {
            continue;
        }
        virtual__clear(row);
        SET(pg_sequence_seqrelid, datum_int(relation->oid));
        SET(pg_sequence_seqtypid, datum_int(sequence->type));
        SET(pg_sequence_seqstart, datum_int(sequence->start));
        SET(pg_sequence_seqincrement, datum_int(sequence->increment));
        SET(pg_sequence_seqmax, datum_int(sequence->maximum));
        SET(pg_sequence_seqmin, datum_int(sequence->minimum));
        SET(pg_sequence_seqcache, datum_int(sequence->cache));
        SET(pg_sequence_seqcycle, datum_bool(sequence->cycle));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

enum err
virtual__pg_sequences(struct virtual_row *row)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        const struct sequence *sequence = relation->sequence;
        if (sequence == NULL) {
            continue;
        }
        struct datum last, oid = datum_int(relation->oid);
        TRY(last_value(row->eval, &oid, 1, &last));
        virtual__clear(row);
        SET(pg_sequences_schemaname, virtual__text(relation->schema_name));
        SET(pg_sequences_sequencename, virtual__text(relation->name));
        SET(pg_sequences_sequenceowner, virtual__text(virtual__role_name(row, relation->owner)));
        SET(pg_sequences_data_type, datum_int(sequence->type));
        SET(pg_sequences_start_value, datum_int(sequence->start));
        SET(pg_sequences_min_value, datum_int(sequence->minimum));
        SET(pg_sequences_max_value, datum_int(sequence->maximum));
        SET(pg_sequences_increment_by, datum_int(sequence->increment));
        SET(pg_sequences_cycle, datum_bool(sequence->cycle));
        SET(pg_sequences_cache_size, datum_int(sequence->cache));
        SET(pg_sequences_last_value, last);
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}

static struct datum
number_text(struct virtual_row *row, int64_t number)
{
    return virtual__text(arena_printf(row->eval->arena, "%lld", (long long)number));
}

/* Those of identity columns are not shown. */
enum err
virtual__is_sequences(struct virtual_row *row)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        const struct sequence *sequence = relation->sequence;
        if (sequence == NULL || sequence->identity) {
            continue;
        }
        int bits = sequence->type == TYPE_INT2 ? 16 : sequence->type == TYPE_INT4 ? 32 : 64;
        virtual__clear(row);
        SET(is_sequences_sequence_catalog, virtual__text(row->eval->env->database));
        SET(is_sequences_sequence_schema, virtual__text(relation->schema_name));
        SET(is_sequences_sequence_name, virtual__text(relation->name));
        SET(is_sequences_data_type, virtual__text(type_by_oid(sequence->type)->sql_name));
        SET(is_sequences_numeric_precision, datum_int(bits));
        SET(is_sequences_numeric_precision_radix, datum_int(2));
        SET(is_sequences_numeric_scale, datum_int(0));
        SET(is_sequences_start_value, number_text(row, sequence->start));
        SET(is_sequences_minimum_value, number_text(row, sequence->minimum));
        SET(is_sequences_maximum_value, number_text(row, sequence->maximum));
        SET(is_sequences_increment, number_text(row, sequence->increment));
        SET(is_sequences_cycle_option, virtual__text(sequence->cycle ? "YES" : "NO"));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}
