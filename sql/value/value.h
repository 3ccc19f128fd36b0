/*
 * sql/value/value.h - SQL values, types, functions, operators, casts.
 *
 * Types are PostgreSQL's, by OID. A value in memory is a struct datum; which member of it counts
 * is the type's business:
 *
 *     boolean, smallint, integer, bigint, oid, regclass..,  i
 *     date (days since 2000-01-01), time (us)               i; INT64_MIN/MAX (dates: INT32_MIN/MAX)
 *     timestamp, timestamptz (us since 2000-01-01 UTC)         are -infinity/infinity
 *     real, double precision                                f (real: rounded to float)
 *     text, varchar, char(n), name, bytea, unknown          p, size (no NUL at the end; char(n)
 *                                                              padded with blanks to n characters)
 *     numeric                                               p, size: own form, see numeric.c
 *     uuid                                                  p, size 16
 *     json (its text), jsonb                                p, size: see json.c
 *     record                                                p, size: see record.c
 *     arrays, int2vector, oidvector                         p, size: see array.c
 *     enums                                                 i, in the order of their labels
 *
 * Text is UTF-8, compared by bytes (C collation). All memory that p points to is immutable and
 * lives in an arena or a page copy named by whoever handed the datum out.
 */
#ifndef SQL_VALUE_VALUE_H
#define SQL_VALUE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "world/world.h"

struct datum {
    union {
        int64_t i;
        double f;
        const uint8_t *p;
    };
    uint32_t size; /* of p's bytes */
    bool null;
};
_Static_assert(sizeof(struct datum) == 16, "two words: datums are copied everywhere");

static inline struct datum
datum_null(void)
{
    return (struct datum){.null = true};
}

static inline struct datum
datum_int(int64_t i)
{
    return (struct datum){.i = i};
}

static inline struct datum
datum_bool(bool b)
{
    return (struct datum){.i = b};
}

static inline struct datum
datum_float(double f)
{
    return (struct datum){.f = f};
}

static inline struct datum
datum_bytes(const void *p, size_t size)
{
    return (struct datum){.p = p, .size = (uint32_t)size};
}

/* ---- types --------------------------------------------------------------------------------- */

typedef uint32_t oid_t; /* PostgreSQL's object identifiers; 0 is "none" */

enum type_oid {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_CHAR = 18, /* "char", one byte, of the catalogs */
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT2VECTOR = 22,
    TYPE_INT4 = 23,
    TYPE_REGPROC = 24,
    TYPE_TEXT = 25,
    TYPE_OID = 26,
    TYPE_OIDVECTOR = 30,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_UNKNOWN = 705, /* an untyped literal or parameter before resolution */
    TYPE_CHAR_ARRAY = 1002,
    TYPE_INT2_ARRAY = 1005,
    TYPE_INT4_ARRAY = 1007,
    TYPE_TEXT_ARRAY = 1009,
    TYPE_FLOAT4_ARRAY = 1021,
    TYPE_OID_ARRAY = 1028,
    TYPE_BPCHAR = 1042,
    TYPE_VARCHAR = 1043,
    TYPE_DATE = 1082,
    TYPE_TIME = 1083,
    TYPE_TIMESTAMP = 1114,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_INTERVAL = 1186,
    TYPE_CIDR = 650,
    TYPE_INET = 869,
    TYPE_NUMERIC = 1700,
    TYPE_REGCLASS = 2205,
    TYPE_REGTYPE = 2206,
    TYPE_REGTYPE_ARRAY = 2211,
    TYPE_RECORD = 2249,
    TYPE_ANY = 2276,      /* in function tables: whatever */
    TYPE_ANYARRAY = 2277, /* in function tables: an array of any type, and .. */
    TYPE_VOID = 2278,
    TYPE_ANYELEMENT = 2283, /* .. the type of its elements; the binder makes them one type */
    TYPE_RECORD_ARRAY = 2287,
    TYPE_ANYNONARRAY = 2776, /* anyelement that is no array */
    TYPE_UUID = 2950,
    TYPE_ANYENUM = 3500, /* anyelement that is an enum */
    TYPE_JSONB = 3802,
    TYPE_REGNAMESPACE = 4089,
    TYPE_REGPROCEDURE = 2202,
    TYPE_REGOPER = 2203,
    TYPE_REGOPERATOR = 2204,
    TYPE_TRIGGER = 2279,
    TYPE_REGROLE = 4096,
};

/* Types of users. Each kind has a range; a type has an even OID in it and its array type the next
 * one, so that what must know what a value is (order, keys, rows) need not ask the catalog. An
 * enum's value is a number whose order is that of the labels; what the labels are, the catalog
 * knows. No value and no expression is of a domain: they are of its base type, and the domain
 * stands beside the type where it must be known (struct column, struct expr). */
enum {
    TYPE_USER_FIRST = 0x60000000,
    TYPE_DOMAIN_FIRST = 0x61000000,
    TYPE_DOMAIN_END = 0x62000000,
    TYPE_USER_END = TYPE_DOMAIN_END,
};

static inline bool
type_is_enum(oid_t type)
{
    return type >= TYPE_USER_FIRST && type < TYPE_DOMAIN_FIRST && (type & 1) == 0;
}

/* A domain or an array of one. */
static inline bool
type_has_domain(oid_t type)
{
    return type >= TYPE_DOMAIN_FIRST && type < TYPE_DOMAIN_END;
}

enum type_category { /* PostgreSQL's typcategory letters */
    CATEGORY_BOOLEAN = 'B',
    CATEGORY_DATETIME = 'D',
    CATEGORY_NUMERIC = 'N',
    CATEGORY_STRING = 'S',
    CATEGORY_TIMESPAN = 'T',
    CATEGORY_USER = 'U',
    CATEGORY_UNKNOWN = 'X',
    CATEGORY_PSEUDO = 'P',
    CATEGORY_ARRAY = 'A',
    CATEGORY_ENUM = 'E',
    CATEGORY_INTERNAL = 'Z',
};

struct type {
    oid_t oid;
    const char *name;     /* pg_type.typname: int4 */
    const char *sql_name; /* format_type's: integer */
    int16_t size;         /* pg_type.typlen; -1 variable */
    bool by_reference;    /* uses p */
    bool preferred;       /* in its category */
    char category;        /* enum type_category */
    oid_t array_oid;      /* OID of its array type, for pg_type */
    /* Two equal values have the same bytes and the key encoding can be turned back into exactly
     * this value (not so: numeric's scale, -0.0, char(n)'s blanks): index-only scans may use it. */
    bool key_lossless;
    oid_t element; /* of an array type, else 0 */
};

/* NULL if unknown. */
const struct type *type_by_oid(oid_t oid);
/* By any accepted name, lower case: int4, integer, int, "timestamp with time zone", varchar... */
const struct type *type_by_name(const char *name);
/* The same, and types of users, along env's search path or in a schema (not NULL). */
struct eval_env;
const struct type *type_named(const struct eval_env *env, const char *schema, const char *name);
/* By its name in SQL, as regtype reads it: "varchar(10)", "pg_catalog.int4[]". NULL: none. */
const struct type *type_by_sql_name(
    const struct eval_env *env, struct arena *arena, const char *text);
/* From now on type_by_oid knows this type of a user and its array. */
void type_note_user(oid_t type);
/* And this domain, with what it was made of. */
void type_note_domain(oid_t domain, oid_t base);
/* What values of a type are: of a domain its base type, of an array of one that of the base type;
 * others are what they are. */
oid_t type_base(oid_t type);
/* Of an array type: the type of its elements; else 0. */
oid_t type_element(oid_t type);
/* All that are not of users, for pg_type. */
const struct type *type_all(size_t *count);
/* "character varying(10)", "numeric(10,2)"; -1: no modifier. A user's type with its schema, unless
 * env's search path leads to it. */
char *type_format(const struct eval_env *env, struct arena *arena, oid_t type, int32_t typmod);
/* Modifier from its numbers: varchar(10), numeric(10,2), timestamp(3). PostgreSQL's encodings and
 * errors. */
enum err type_make_typmod(
    oid_t type, const int32_t *numbers, size_t count, int32_t *typmod, struct diag *diag);
/* interval year, interval day to second(3): fields is a sum of 1 year, 2 month, 4 day, 8 hour, 16
 * minute, 32 second, as the parser has it; 0: all. */
enum err type_make_interval_typmod(
    uint32_t fields, const int32_t *numbers, size_t count, int32_t *typmod, struct diag *diag);

/* The columns of rows: of a column definition list. */
struct row_field {
    const char *name;
    oid_t type, domain; /* struct column */
    int32_t typmod;
};
struct row_shape {
    uint32_t count;
    const struct row_field *fields;
};

/* ---- what functions may know about their surroundings ---------------------------------------- */

enum date_style { /* of output; ISO is read whatever it is */
    DATE_STYLE_ISO,
    DATE_STYLE_SQL,
    DATE_STYLE_POSTGRES,
    DATE_STYLE_GERMAN,
};

enum interval_style {
    INTERVAL_STYLE_POSTGRES,
    INTERVAL_STYLE_VERBOSE,
    INTERVAL_STYLE_SQL,
    INTERVAL_STYLE_ISO,
};

/* Of a session, as far as functions need it. Filled by sql/session. */
struct eval_env {
    int64_t transaction_time; /* timestamptz: now() */
    int64_t statement_time;
    struct world *world; /* clock_timestamp, random */
    const char *user;    /* current_user */
    const char *session_user;
    const char *database;
    /* search_path: names of schemas, NULL at the end; they need not exist. NULL: public. */
    const char *const *search_path;
    const char *application_name;
    const char *time_zone;    /* "UTC", "+02", a tzdata name */
    int32_t date_style_order; /* 0 MDY (default), 1 DMY, 2 YMD */
    enum date_style date_style;
    enum interval_style interval_style;
    int32_t extra_float_digits; /* 1 by default: shortest exact */
    uint32_t backend_pid;
    uint64_t random_state[2];           /* after setseed; both 0: before */
    bool bytea_escape;                  /* bytea_output = escape */
    const struct catalog *catalog;      /* for regclass, format_type, pg_get_*: see catalog.h */
    struct sequence_session *sequences; /* nextval, currval: sql/catalog/sequence.h */
    struct domain_cache *domains;       /* sql/exec/domain.c; NULL: nothing is kept */
    struct sql_session *session;        /* pg_backend_pid, current_setting, txid_current .. */
};

struct txn_snapshot;

/* One evaluation. `arena` receives results; `diag` the error. task is for functions that may sleep
 * (pg_sleep). */
struct eval {
    struct task *task;
    struct arena *arena;
    struct diag *diag;
    struct eval_env *env;
    const struct txn_snapshot *snapshot; /* of the statement; NULL: there is none */
};

/* ---- text and binary forms ------------------------------------------------------------------- */

/* PostgreSQL's input functions: words and SQLSTATEs as there, e.g. 22P02
 * invalid input syntax for type integer: "x". typmod is applied (as by assignment: too long a
 * varchar is 22001). */
enum err type_input(
    struct eval *eval, oid_t type, int32_t typmod, struct slice text, struct datum *value);
/* Appends the text form; value is not null. */
void type_output(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to);
/* Binary formats of the wire. receive checks sizes (22P03). */
enum err type_receive(
    struct eval *eval, oid_t type, int32_t typmod, struct slice bytes, struct datum *value);
void type_send(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to);
/* Deep copy into an arena. */
struct datum datum_copy(struct arena *arena, oid_t type, struct datum value);

/* An array of one dimension. vector: int2vector or oidvector, whose first subscript is 0. */
struct datum array_make(
    struct arena *arena, oid_t element, bool vector, const struct datum *elements, uint32_t count);

/* The elements of an array in order, whatever its dimensions; they point into it. */
uint32_t array_elements(struct arena *arena, struct datum array, struct datum **elements);

/* ---- comparing, hashing, keys ---------------------------------------------------------------- */

/* Total btree order of non-null values of one type: <0, 0, >0 (NaN above all, as PostgreSQL). */
int datum_compare(oid_t type, struct datum a, struct datum b);
/* Equal values hash equal. */
uint64_t datum_hash(oid_t type, struct datum value, uint64_t seed);
bool type_is_ordered(oid_t type);
static inline bool
type_is_integer(oid_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

/* Append one column of an index key: order-preserving, self-delimiting bytes. null is allowed. */
enum key_flags {
    KEY_DESCENDING = 1,
    KEY_NULLS_FIRST = 2,
};
void key_encode(struct buffer *key, oid_t type, struct datum value, int flags);
/* Decode one column from *key, advancing it. For a type that is not key_lossless the value is equal
 * but may print otherwise. ERR_INDEX_CORRUPT on bytes that no key_encode made. */
enum err key_decode(struct arena *arena, struct slice *key, oid_t type, int flags,
    struct datum *value, struct diag *diag);
/* Skip one encoded column. */
enum err key_skip(struct slice *key, oid_t type, int flags, struct diag *diag);
/* The least key above every key that begins with these bytes; false if there is none (all 0xFF). */
bool key_prefix_successor(struct buffer *key);

/* ---- rows ------------------------------------------------------------------------------------ */

/* Stored form of a row's columns. Any column is found without walking the others; a row written
 * before a column was added reads null there (*missing tells). Format in row.c. */
struct row_layout; /* made once per relation version */
struct row_layout *row_layout_new(struct arena *arena, const oid_t *types, size_t count);
void row_encode(const struct row_layout *layout, const struct datum *values, struct buffer *to);
/* Column `index` of an encoded row; p points into the row. Bytes from disk are checked
 * (ERR_CORRUPT). */
enum err row_column(const struct row_layout *layout, struct slice row, size_t index,
    struct datum *value, bool *missing, struct diag *diag);
/* Columns listed in `wanted` (ascending) into values[wanted[i]]. */
enum err row_decode(const struct row_layout *layout, struct slice row, const uint16_t *wanted,
    size_t wanted_count, struct datum *values, struct diag *diag);

/* ---- functions, operators, casts ------------------------------------------------------------- */

/* arguments: arg_count datums. A strict function is never called with a null. The result's memory
 * may point into its arguments. */
typedef enum err function_call(
    struct eval *eval, const struct datum *arguments, int count, struct datum *result);

enum function_flags {
    FUNCTION_STRICT = 1,
    FUNCTION_STABLE = 2,   /* same result within a statement */
    FUNCTION_VOLATILE = 4, /* random, clock_timestamp: never folded */
    FUNCTION_VARIADIC = 8, /* the last argument type repeats (concat, format) */
    FUNCTION_SET = 16,     /* returns a set: see struct set_function */
    FUNCTION_AGGREGATE = 32,
    FUNCTION_INTERNAL = 64,   /* casts and the like: not found by name */
    FUNCTION_TEXT_ARGS = 128, /* arguments of TYPE_ANY come in their text forms (concat) */
    FUNCTION_ELEMENT = 256,   /* wants the OID of what anyelement stands for as one more argument */
    FUNCTION_ORDERED = 8192, /* only with WITHIN GROUP: the direct arguments, then what is sorted */
    FUNCTION_WINDOW = 4096,  /* only with OVER; sql/exec/window.c knows it by its name */
    FUNCTION_SHAPED = 1024,  /* in FROM with a column definition list alone; the last argument is a
                                pointer to a struct row_shape */
    FUNCTION_ADVISORY = 2048,  /* takes or gives back advisory locks */
    FUNCTION_ROUTINE = 16384,  /* of a user, run by the session: sql/plan/routine.h */
    FUNCTION_TYPED_ARGS = 512, /* behind each argument of TYPE_ANY wants the OID of its type */
};

enum {
    FUNCTION_ARGS_MAX = 8
};

struct function {
    const char *name;
    oid_t oid; /* PostgreSQL's where it has one (pg_proc), else above 16000 */
    oid_t result;
    uint8_t arg_count;
    uint8_t arg_required; /* fewer than arg_count if the rest have defaults (null is passed) */
    uint16_t flags;
    oid_t args[FUNCTION_ARGS_MAX]; /* TYPE_ANY matches any type */
    function_call *call;
    const struct aggregate *aggregate; /* FUNCTION_AGGREGATE */
    const struct set_function *set;    /* FUNCTION_SET */
};

/* All functions of a name, in a contiguous run; for overload resolution (bind). */
const struct function *function_by_name(const char *name, size_t *count);
const struct function *function_by_oid(oid_t oid);
/* The names of arguments, for f(name => x); NULL: they have none. *defaulted: what is left out is
 * zero, and the longest overload is meant. */
const char *const *function_argument_names(const char *name, size_t *count, bool *defaulted);
/* All of them, sorted by name: for pg_proc. */
const struct function *function_all(size_t *count);

/* Operators: binary (left, right) or prefix (left == 0). */
struct operator_def {
    const char *name;
    oid_t oid;
    oid_t left, right, result;
    const struct function *function;
    const char *commutator, *negator; /* operator names or NULL; for the planner */
};
const struct operator_def *operator_by_name(const char *name, size_t *count);
/* All of them, sorted by name: for pg_operator. */
const struct operator_def *operator_all(size_t *count);
/* The six comparisons of two values of one type ("=", "<>", "<", "<=", ">", ">="); NULL if the type
 * has no order. */
const struct function *operator_compare_function(const char *name, oid_t type);

enum cast_context {
    CAST_IMPLICIT,
    CAST_ASSIGNMENT,
    CAST_EXPLICIT,
};
/* Casts there are beside those through text, for pg_cast; false at the end. function NULL: the same
 * bytes. */
struct cast_def {
    oid_t from, to;
    enum cast_context context;
    const struct function *function;
};
bool cast_at(size_t position, struct cast_def *cast);
/* How a value of one type becomes another. */
enum cast_method {
    CAST_NONE,    /* not possible in this context */
    CAST_RELABEL, /* same bytes (varchar to text) */
    CAST_FUNCTION,
    CAST_TEXT_IO, /* through the text forms (explicit casts from and to string types) */
};
enum cast_method cast_find(
    oid_t from, oid_t to, enum cast_context context, const struct function **function);
/* Coerce a value of its own type to a length or precision: varchar(n), numeric(p,s)... explicit
 * casts cut strings, assignments raise 22001. */
enum err type_apply_typmod(struct eval *eval, oid_t type, int32_t typmod, bool explicit_cast,
    struct datum value, struct datum *result);

/* An aggregate is a state machine over a group. State memory comes from the group's arena. */
struct aggregate {
    size_t state_size; /* zeroed at the start */
    /* Not called for rows with a null argument if FUNCTION_STRICT is set on the function. */
    enum err (*step)(
        struct eval *eval, void *state, struct arena *group, const struct datum *args, int count);
    enum err (*finish)(struct eval *eval, void *state, struct datum *result);
};

/* Takes an earlier step back, for frames that move. False: not exactly, and the state is as before.
 */
typedef bool aggregate_unstep(void *state, const struct datum *args);
/* NULL: there is no such thing for this one. */
aggregate_unstep *aggregate_inverse(const struct aggregate *aggregate);

/* A set-returning function. State as for aggregates. */
struct set_function {
    size_t state_size;
    enum err (*start)(struct eval *eval, void *state, const struct datum *args, int count);
    /* *done: no more rows. values: one datum a column. eval's arena is that of the row: it is
     * emptied before the next call. */
    enum err (*next)(struct eval *eval, void *state, struct datum *values, bool *done);
    /* Of several columns (struct function's result is TYPE_RECORD); 0: one, of the result's type.
     */
    uint32_t column_count;
    const char *const *column_names;
    const oid_t *column_types;
};

static inline uint32_t
function_column_count(const struct function *function)
{
    return function->set == NULL || function->set->column_count == 0 ? 1
                                                                     : function->set->column_count;
}

static inline oid_t
function_column_type(const struct function *function, uint32_t column)
{
    return function->set == NULL || function->set->column_count == 0
               ? function->result
               : function->set->column_types[column];
}

/* Add a table of functions to what function_by_name finds; before the first statement. The table
 * must outlive everything. */
void function_register(const struct function *functions, size_t count);

/* A zone of this name in its own spelling (lives for ever); NULL: none. Reads its file the first
 * time: may sleep. A session asks this before it puts a name into eval_env. */
const char *time_zone_name(struct task *task, const char *name);

/* What regclass, regnamespace, regrole and types of users need from the catalog, which lies above:
 * set once by catalog_open. The names append nothing if there is no such object. */
struct value_catalog_hooks {
    enum err (*oid)(struct eval *eval, oid_t type, struct slice name, oid_t *oid);
    void (*name)(const struct eval_env *env, oid_t type, oid_t oid, struct buffer *to);
    /* 0: none. schema NULL: along the search path. */
    oid_t (*type_oid)(const struct eval_env *env, const char *schema, const char *name);
    void (*type_name)(const struct eval_env *env, oid_t type, struct buffer *to);
    enum err (*enum_input)(struct eval *eval, oid_t type, struct slice text, struct datum *value);
    void (*enum_output)(
        const struct eval_env *env, oid_t type, struct datum value, struct buffer *to);
};
extern const struct value_catalog_hooks *value_catalog_hooks;

/* Does the value obey the domain, or do the elements, if it is an array of one? 23502, 23514. The
 * conditions are expressions, so who evaluates them (sql/exec) says how; set once. */
typedef enum err domain_check(struct eval *eval, oid_t domain, struct datum value);
extern domain_check *value_domain_check;

#endif /* SQL_VALUE_VALUE_H */
