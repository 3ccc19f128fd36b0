/*
 * sql/value/functions.c - finding functions, operators and casts.
 *
 * The tables of the other files are gathered once, into arrays sorted by name; operators get a
 * struct function each. Built before the first statement, under a latch, and immutable from then
 * on.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/latch.h"
#include "base/mem.h"
#include "sql/value/value_internal.h"

enum {
    REGISTERED_MAX = 32,
    OID_FIRST_OWN = 16000, /* below OID_FIRST_USER: for what PostgreSQL has no fixed OID of ours */
};

static struct latch latch;
static _Atomic bool ready;
static struct {
    const struct function *functions;
    size_t count;
} registered[REGISTERED_MAX];
static size_t registered_count;

static struct function *functions;
static size_t function_count;
static struct operator_def *operators;
static size_t operator_count;
static struct function *operator_functions;
static struct function *cast_functions;
static struct cast_def *casts;
static size_t cast_count;

static const struct function_rows *const tables[] = {&arithmetic_rows, &compare_rows, &numeric_rows,
    &numeric_math_rows, &float_math_rows, &text_rows, &datetime_rows, &datetime_extract_rows,
    &datetime_format_rows, &number_format_rows, &regex_rows, &string_rows, &bytes_rows,
    &aggregate_rows, &spread_rows, &array_rows, &array_part_rows, &network_rows, &json_rows,
    &json_build_rows, &record_rows, &json_record_rows, &misc_rows, &ordered_rows};
enum {
    TABLE_COUNT = sizeof tables / sizeof tables[0]
};

/* OIDs of PostgreSQL that others look at: the integer operators' functions. */
static oid_t
known_oid(const char *name)
{
    static const struct {
        const char *name;
        oid_t oid;
    } known[] = {{"int4eq", 65}, {"int4lt", 66}, {"int4pl", 177}, {"int4mi", 181}, {"int4mul", 141},
        {"int4ne", 144}, {"int4gt", 147}, {"int4le", 149}, {"int4ge", 150}, {"int8eq", 467},
        {"int8ne", 468}, {"int8lt", 469}, {"int8gt", 470}, {"int8le", 471}, {"int8ge", 472},
        {"int8pl", 463}, {"int8mi", 464}, {"int8mul", 465}, {"texteq", 67}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return known[i].oid;
        }
    }
    return 0;
}

static int
by_name(const void *a, const void *b)
{
    const struct function *x = a;
    const struct function *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->oid > y->oid) - (x->oid < y->oid);
}

static int
operator_by_name_order(const void *a, const void *b)
{
    const struct operator_def *x = a;
    const struct operator_def *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->oid > y->oid) - (x->oid < y->oid);
}

static void
gather_operators(oid_t *oid)
{
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        operator_count += tables[t]->operator_count;
    }
    operators = mem_array(operator_count, sizeof *operators);
    operator_functions = mem_array(operator_count, sizeof *operator_functions);
    size_t at = 0;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        for (size_t i = 0; i < tables[t]->operator_count; i++, at++) {
            const struct operator_row *row = &tables[t]->operators[i];
            struct function *function = &operator_functions[at];
            oid_t fixed = known_oid(row->function);
            *function = (struct function){
                .name = row->function,
                .oid = fixed != 0 ? fixed : (*oid)++,
                .result = row->result,
                .arg_count = row->left == 0 ? 1 : 2,
                .arg_required = row->left == 0 ? 1 : 2,
                .flags = (uint16_t)(FUNCTION_STRICT | row->flags),
                .args = {row->left == 0 ? row->right : row->left, row->right},
                .call = row->call,
            };
            operators[at] = (struct operator_def){
                .name = row->name,
                .oid = (*oid)++,
                .left = row->left,
                .right = row->right,
                .result = row->result,
                .function = function,
                .commutator = row->commutator,
                .negator = row->negator,
            };
        }
    }
    qsort(operators, operator_count, sizeof *operators, operator_by_name_order);
}

static void
gather_functions(oid_t *oid)
{
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        function_count += tables[t]->function_count;
    }
    for (size_t t = 0; t < registered_count; t++) {
        function_count += registered[t].count;
    }
    function_count += operator_count;
    functions = mem_array(function_count, sizeof *functions);
    size_t at = 0;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        for (size_t i = 0; i < tables[t]->function_count; i++) {
            functions[at++] = tables[t]->functions[i];
        }
    }
    for (size_t t = 0; t < registered_count; t++) {
        for (size_t i = 0; i < registered[t].count; i++) {
            functions[at++] = registered[t].functions[i];
        }
    }
    for (size_t i = 0; i < at; i++) {
        functions[i].oid = functions[i].oid != 0 ? functions[i].oid : (*oid)++;
        functions[i].arg_required =
            functions[i].arg_required == 0 && (functions[i].flags & FUNCTION_VARIADIC) == 0
                ? functions[i].arg_count
                : functions[i].arg_required;
    }
    for (size_t i = 0; i < operator_count; i++) {
        functions[at++] = operator_functions[i];
    }
    qsort(functions, function_count, sizeof *functions, by_name);
}

static void
gather_casts(oid_t *oid)
{
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        cast_count += tables[t]->cast_count;
    }
    casts = mem_array(cast_count, sizeof *casts);
    cast_functions = mem_array(cast_count, sizeof *cast_functions);
    size_t at = 0;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        for (size_t i = 0; i < tables[t]->cast_count; i++, at++) {
            const struct cast_row *row = &tables[t]->casts[i];
            const struct type *to = type_by_oid(row->to);
            struct function *function = &cast_functions[at];
            *function = (struct function){
                .name = to->name,
                .oid = (*oid)++,
                .result = row->to,
                .arg_count = 1,
                .arg_required = 1,
                .flags = FUNCTION_STRICT | FUNCTION_INTERNAL,
                .args = {row->from},
                .call = row->call,
            };
            if (row->from == TYPE_TIMESTAMPTZ || row->to == TYPE_TIMESTAMPTZ) {
                function->flags |= FUNCTION_STABLE; /* the time zone setting */
            }
            casts[at].from = row->from;
            casts[at].to = row->to;
            casts[at].context = row->context;
            casts[at].function = row->call == NULL ? NULL : function;
        }
    }
}

static void
prepare(void)
{
    if (atomic_load_explicit(&ready, memory_order_acquire)) {
        return;
    }
    latch_acquire(&latch);
    if (!atomic_load(&ready)) {
        oid_t oid = OID_FIRST_OWN - 8000;
        gather_operators(&oid);
        gather_functions(&oid);
        gather_casts(&oid);
        atomic_store_explicit(&ready, true, memory_order_release);
    }
    latch_release(&latch);
}

void
function_register(const struct function *table, size_t count)
{
    latch_acquire(&latch);
    bool known = false;
    for (size_t i = 0; i < registered_count; i++) {
        known = known || registered[i].functions == table;
    }
    if (!known) {
        ASSERT(!atomic_load(&ready) && registered_count < REGISTERED_MAX);
        registered[registered_count].functions = table;
        registered[registered_count].count = count;
        registered_count++;
    }
    latch_release(&latch);
}

const struct function *
function_by_name(const char *name, size_t *count)
{
    prepare();
    size_t low = 0;
    size_t high = function_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(functions[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < function_count && strcmp(functions[end].name, name) == 0) {
        end++;
    }
    *count = end - low;
    return end == low ? NULL : &functions[low];
}

const struct function *
function_by_oid(oid_t oid)
{
    prepare();
    for (size_t i = 0; i < function_count; i++) {
        if (functions[i].oid == oid) {
            return &functions[i];
        }
    }
    return NULL;
}

const char *const *
function_argument_names(const char *name, size_t *count, bool *defaulted)
{
    static const struct {
        const char *name;
        size_t count;
        bool defaulted;
        const char *names[FUNCTION_ARGS_MAX];
    } known[] = {
        {"make_date", 3, false, {"year", "month", "day"}},
        {"make_time", 3, false, {"hour", "min", "sec"}},
        {"make_timestamp", 6, false, {"year", "month", "mday", "hour", "min", "sec"}},
        {"make_timestamptz", 7, false, {"year", "month", "mday", "hour", "min", "sec", "timezone"}},
        {"make_interval", 7, true, {"years", "months", "weeks", "days", "hours", "mins", "secs"}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            *count = known[i].count;
            *defaulted = known[i].defaulted;
            return known[i].names;
        }
    }
    return NULL;
}

const struct function *
function_all(size_t *count)
{
    prepare();
    *count = function_count;
    return functions;
}

const struct operator_def *
operator_by_name(const char *name, size_t *count)
{
    prepare();
    size_t low = 0;
    size_t high = operator_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(operators[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < operator_count && strcmp(operators[end].name, name) == 0) {
        end++;
    }
    *count = end - low;
    return end == low ? NULL : &operators[low];
}

const struct operator_def *
operator_all(size_t *count)
{
    prepare();
    *count = operator_count;
    return operators;
}

enum err
value__call_operator(struct eval *eval, const char *name, oid_t left, oid_t right,
    const struct datum *args, struct datum *result)
{
    size_t count = 0;
    const struct operator_def *def = operator_by_name(name, &count);
    for (size_t i = 0; i < count; i++) {
        if (def[i].left == left && def[i].right == right) {
            return def[i].function->call(eval, args, 2, result);
        }
    }
    return diag_set(
        eval->diag, ERR_INTERNAL, "there is no operator %s of %u and %u", name, left, right);
}

const struct function *
operator_compare_function(const char *name, oid_t type)
{
    /* Types that compare as another: by their bytes or their number. */
    type = type == TYPE_VARCHAR || type == TYPE_UNKNOWN ? TYPE_TEXT : type;
    type = value__is_reg(type) ? TYPE_OID : type;
    type = type_element(type) != 0 ? TYPE_ANYARRAY : type_is_enum(type) ? TYPE_ANYENUM : type;
    size_t count = 0;
    const struct operator_def *def = operator_by_name(name, &count);
    for (size_t i = 0; i < count; i++) {
        if (def[i].left == type && def[i].right == type) {
            return def[i].function;
        }
    }
    return NULL;
}

bool
cast_at(size_t position, struct cast_def *cast)
{
    prepare();
    if (position >= cast_count) {
        return false;
    }
    *cast = casts[position];
    return true;
}

enum cast_method
cast_find(oid_t from, oid_t to, enum cast_context context, const struct function **function)
{
    prepare();
    *function = NULL;
    if (from == to) {
        return CAST_RELABEL;
    }
    for (size_t i = 0; i < cast_count; i++) {
        if (casts[i].from == from && casts[i].to == to) {
            if (casts[i].context > context) {
                return CAST_NONE;
            }
            *function = casts[i].function;
            return *function == NULL ? CAST_RELABEL : CAST_FUNCTION;
        }
    }
    const struct type *source = type_by_oid(from);
    const struct type *target = type_by_oid(to);
    if (source == NULL || target == NULL || source->category == 'P' || target->category == 'P') {
        return CAST_NONE;
    }
    if (from == TYPE_UNKNOWN) {
        return CAST_TEXT_IO;
    }
    /* Any type to a string by assignment, from a string explicitly (PostgreSQL, CREATE CAST). */
    if (target->category == 'S' && context >= CAST_ASSIGNMENT) {
        return CAST_TEXT_IO;
    }
    if (source->category == 'S' && context == CAST_EXPLICIT) {
        return CAST_TEXT_IO;
    }
    return CAST_NONE;
}
