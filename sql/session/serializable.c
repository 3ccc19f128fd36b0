/*
 * sql/session/serializable.c - what SERIALIZABLE does, in SQL: what has been read, who failed and
 * where.
 */
#include <string.h>

#include "sql/catalog/index_key.h"
#include "sql/session/session_internal.h"

enum {
    READS_MAX = 100 * 1000, /* lines of tusk_serializable_reads */
};

typedef enum err emit_row(void *arg, const struct datum *values);

static struct datum
text_datum(const char *text)
{
    return text == NULL ? datum_null() : datum_bytes(text, strlen(text));
}

/* ---- tusk_serialization_failures ---------------------------------------------------------------
 */

struct failure_rows {
    struct eval *eval;
    enum err (*emit)(void *arg, const struct datum *values);
    void *arg;
    enum err err;
};

static void
emit_failure(void *arg, const struct txn_failure *failure)
{
    struct failure_rows *rows = arg;
    if (rows->err == ERR_OK) {
        struct datum values[] = {
            datum_int(failure->time_us - EPOCH_US),
            datum_int(failure->pid),
            text_datum(arena_strdup(rows->eval->arena, failure->detail)),
        };
        rows->err = rows->emit(rows->arg, values);
    }
}

static enum err
scan_failures(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    (void)catalog;
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct failure_rows rows = {.eval = eval, .emit = emit, .arg = arg};
    txn_serialization_failures(eval->env->session->engine->db, emit_failure, &rows);
    return rows.err;
}

/* ---- tusk_serialization_counts -----------------------------------------------------------------
 */

static enum err
scan_counts(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct txn_failure_count *counts;
    size_t count = txn_failure_counts(eval->env->session->engine->db, eval->arena, &counts);
    for (size_t i = 0; i < count; i++) {
        const struct index *index = NULL;
        const struct relation *relation = catalog_relation_of_tree(catalog, counts[i].tree, &index);
        bool apart = index != NULL && index->tree.v != relation->tree.v;
        struct datum values[] = {
            relation == NULL ? datum_null() : datum_int(relation->oid),
            text_datum(relation == NULL ? NULL : relation->schema_name),
            text_datum(relation == NULL ? NULL : relation->name),
            text_datum(apart ? index->name : NULL),
            datum_int((int64_t)counts[i].structures),
            datum_int((int64_t)counts[i].updates),
            datum_int((int64_t)counts[i].deadlocks),
        };
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

/* ---- tusk_serializable_reads -------------------------------------------------------------------
 */

/* A whole key, or the first columns of one, as "(1, x)". *rest: bytes behind it. False: it is none.
 */
static bool
add_key(struct buffer *to, struct eval *eval, const struct relation *relation,
    const struct index *index, struct slice key, struct slice *rest)
{
    size_t before = to->size;
    uint16_t count = 0;
    bool decoded = true;
    *rest = key;
    buffer_add_text(to, "(");
    if (index == NULL) {
        decoded = key.size >= 8;
        if (decoded) {
            buffer_printf(to, "row %llu", (unsigned long long)load_be64(key.data));
            *rest = slice_of(key.data + 8, key.size - 8);
            count = 1;
        }
    }
    while (index != NULL && decoded && count < index->column_count && rest->size > 0) {
        struct datum value;
        struct diag ignored;
        oid_t type = index_column_type(relation, index, count);
        decoded =
            key_decode(eval->arena, rest, type, index->flags[count], &value, &ignored) == ERR_OK;
        if (!decoded) {
            break;
        }
        buffer_add_text(to, count == 0 ? "" : ", ");
        if (value.null) {
            buffer_add_text(to, "null");
        } else {
            type_output(eval->env, type, value, to);
        }
        count++;
    }
    buffer_add_text(to, ")");
    if (!decoded || count == 0) {
        to->size = before;
        return false;
    }
    return true;
}

static void
add_low(struct buffer *to, struct eval *eval, const struct relation *relation,
    const struct index *index, struct slice low)
{
    struct slice rest;
    size_t at = to->size;
    buffer_add_text(to, "[");
    bool is_key = add_key(to, eval, relation, index, low, &rest);
    if (!is_key || rest.size > 0) {
        to->data[at] = '('; /* behind that key, or where values that are not null begin */
    }
}

static void
add_high(struct buffer *to, struct eval *eval, const struct relation *relation,
    const struct index *index, struct slice high)
{
    struct slice rest;
    if (add_key(to, eval, relation, index, high, &rest)) {
        buffer_add_text(to, rest.size > 0 ? "]" : ")");
        return;
    }
    /* The least key above all that begin with some columns: those are one less. */
    uint8_t *bytes = arena_copy(eval->arena, high.data, high.size);
    if (high.size > 0 && bytes[high.size - 1] > 0) {
        bytes[high.size - 1]--;
        if (add_key(to, eval, relation, index, slice_of(bytes, high.size), &rest)) {
            buffer_add_text(to, "]");
            return;
        }
    }
    buffer_add_text(to, ")");
}

/* "all", "(7)" for one key, else an interval in the order of the index: "[(3), (7))". */
static struct datum
range_words(struct eval *eval, const struct relation *relation, const struct index *index,
    const struct txn_read_line *line)
{
    struct buffer words = {0};
    struct slice low = line->low;
    struct slice high = line->high;
    struct slice rest = {0};
    bool one = line->has_high && high.size == low.size + 1 && high.data[low.size] == 0 &&
               memcmp(low.data, high.data, low.size) == 0;
    if (one) {
        (void)add_key(&words, eval, relation, index, low, &rest);
    } else if (low.size == 0 && !line->has_high) {
        buffer_add_text(&words, "all");
    } else {
        add_low(&words, eval, relation, index, low);
        buffer_add_text(&words, ", ");
        if (line->has_high) {
            add_high(&words, eval, relation, index, high);
        } else {
            buffer_add_text(&words, ")");
        }
    }
    char *text = arena_strndup(eval->arena, (const char *)words.data, words.size);
    buffer_destroy(&words);
    return text_datum(text);
}

static enum err
emit_read(struct eval *eval, const struct catalog *catalog, const struct txn_read_line *line,
    emit_row *emit, void *arg)
{
    static const char *const states[] = {
        [TXN_READ_ACTIVE] = "active",
        [TXN_READ_COMMITTED_OVERLAPPED] = "committed",
        [TXN_READ_SUMMARISED] = "summary",
    };
    const struct index *index = NULL;
    const struct relation *relation = catalog_relation_of_tree(catalog, line->tree, &index);
    if (relation == NULL) {
        return ERR_OK; /* dropped, or created since the catalog was read */
    }
    bool apart = index != NULL && index->tree.v != relation->tree.v;
    struct datum values[] = {
        line->pid == 0 ? datum_null() : datum_int(line->pid),
        text_datum(line->scanning ? "scanning" : states[line->state]),
        text_datum(relation->schema_name),
        text_datum(relation->name),
        text_datum(apart ? index->name : NULL),
        range_words(eval, relation, index, line),
        line->filter == NULL
            ? datum_null()
            : text_datum(exec_filter_words(eval->arena, eval->env, relation, line->filter)),
    };
    return emit(arg, values);
}

static enum err
scan_reads(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct txn_read_line *lines;
    size_t count = txn_db_reads(eval->env->session->engine->db, eval->arena, READS_MAX, &lines);
    enum err err = ERR_OK;
    for (size_t i = 0; i < count; i++) {
        if (err == ERR_OK) {
            err = emit_read(eval, catalog, &lines[i], emit, arg);
        }
        if (lines[i].filter != NULL) {
            txn_filter_release(lines[i].filter);
        }
    }
    return err;
}

void
serializable__register(void)
{
    catalog_set_virtual_scan("tusk_serialization_failures", scan_failures);
    catalog_set_virtual_scan("tusk_serialization_counts", scan_counts);
    catalog_set_virtual_scan("tusk_serializable_reads", scan_reads);
}
