/*
 * saga/images.c - UNDO AUTO: statements that take a transaction's changes back.
 *
 * They are made from the rows as they were and as the step left them. A row that was inserted is
 * deleted, if it still is what it was; a deleted one is inserted; of a changed one each number gets
 * the difference back, whatever it has become, and every other column must still be what the step
 * made of it. A statement that does not find its row ends the undoing: ERR_SAGA_CHANGED.
 */
#include "saga/saga_internal.h"

#include "base/assert.h"

enum {
    CHANGES_MAX = 10000,
    IMAGES_SIZE_MAX = 16 << 20,
};

static void
add_name(struct buffer *to, const char *name)
{
    buffer_add_u8(to, '"');
    for (; *name != '\0'; name++) {
        buffer_add_text(to, *name == '"' ? "\"" : "");
        buffer_add_u8(to, (uint8_t)*name);
    }
    buffer_add_u8(to, '"');
}

/* CAST('7' AS integer) */
static void
add_value(struct buffer *to, struct sql_session *session, struct arena *arena,
    const struct column *column, struct datum value)
{
    if (value.null) {
        buffer_add_text(to, "NULL");
        return;
    }
    struct buffer text = {0};
    type_output(sql_session_env(session), column->type, value, &text);
    buffer_add_text(to, "CAST('");
    for (size_t i = 0; i < text.size; i++) {
        buffer_add_text(to, text.data[i] == '\'' ? "'" : "");
        buffer_add_u8(to, text.data[i]);
    }
    buffer_printf(
        to, "' AS %s)", type_format(sql_session_env(session), arena, column->type, column->typmod));
    buffer_destroy(&text);
}

static bool
is_number(oid_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8 || type == TYPE_NUMERIC;
}

struct change {
    const struct relation *relation;
    struct datum *before, *after; /* of all columns; NULL: no row */
};

static bool
same(const struct column *column, struct datum a, struct datum b)
{
    if (a.null || b.null) {
        return a.null && b.null;
    }
    if (type_is_ordered(column->type)) {
        return datum_compare(column->type, a, b) == 0;
    }
    return a.size == b.size && a.p != NULL && b.p != NULL && memcmp(a.p, b.p, a.size) == 0;
}

static void
add_match(struct buffer *to, struct sql_session *session, struct arena *arena,
    const struct column *column, struct datum value)
{
    add_name(to, column->name);
    if (type_is_ordered(column->type)) {
        buffer_add_text(to, " IS NOT DISTINCT FROM ");
        add_value(to, session, arena, column, value);
        return;
    }
    buffer_add_text(to, "::text IS NOT DISTINCT FROM ");
    add_value(to, session, arena, column, value);
    buffer_add_text(to, "::text");
}

static bool
in_key(const struct relation *relation, uint16_t column)
{
    for (uint16_t i = 0; i < relation->primary->column_count; i++) {
        if (relation->primary->columns[i] == column) {
            return true;
        }
    }
    return false;
}

static bool
counts(const struct column *column)
{
    return !column->dropped && !column->generated;
}

static void
add_table(struct buffer *to, const char *verb, const struct relation *relation)
{
    buffer_add_text(to, verb);
    add_name(to, relation->schema_name);
    buffer_add_text(to, ".");
    add_name(to, relation->name);
}

static void
write_delete(struct buffer *to, struct sql_session *session, struct arena *arena,
    const struct change *change)
{
    const struct relation *relation = change->relation;
    const char *between = " WHERE ";
    add_table(to, "DELETE FROM ", relation);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        if (counts(&relation->columns[i])) {
            buffer_add_text(to, between);
            add_match(to, session, arena, &relation->columns[i], change->after[i]);
            between = " AND ";
        }
    }
}

static void
write_insert(struct buffer *to, struct sql_session *session, struct arena *arena,
    const struct change *change)
{
    const struct relation *relation = change->relation;
    const char *between = " (";
    add_table(to, "INSERT INTO ", relation);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        if (counts(&relation->columns[i])) {
            buffer_add_text(to, between);
            add_name(to, relation->columns[i].name);
            between = ", ";
        }
    }
    between = ") OVERRIDING SYSTEM VALUE VALUES (";
    for (uint16_t i = 0; i < relation->column_count; i++) {
        if (counts(&relation->columns[i])) {
            buffer_add_text(to, between);
            add_value(to, session, arena, &relation->columns[i], change->before[i]);
            between = ", ";
        }
    }
    buffer_add_text(to, ")");
}

/* "c" = "c" - (after - before) */
static void
add_difference(struct buffer *to, struct sql_session *session, struct arena *arena,
    const struct column *column, struct datum before, struct datum after)
{
    add_name(to, column->name);
    buffer_add_text(to, " - (");
    add_value(to, session, arena, column, after);
    buffer_add_text(to, " - ");
    add_value(to, session, arena, column, before);
    buffer_add_text(to, ")");
}

/* False: nothing to take back. */
static bool
write_update(struct buffer *to, struct sql_session *session, struct arena *arena,
    const struct change *change)
{
    const struct relation *relation = change->relation;
    struct buffer where = {0};
    const char *between = " SET ";
    bool any = false;
    add_table(to, "UPDATE ", relation);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        struct datum before = change->before[i];
        struct datum after = change->after[i];
        if (!counts(column)) {
            continue;
        }
        bool differs = !same(column, before, after);
        bool difference = differs && is_number(column->type) && !before.null && !after.null;
        if (differs) {
            any = true;
            buffer_add_text(to, between);
            between = ", ";
            add_name(to, column->name);
            buffer_add_text(to, " = ");
            if (difference) {
                add_difference(to, session, arena, column, before, after);
            } else {
                add_value(to, session, arena, column, before);
            }
        }
        if (in_key(relation, i) || (differs && !difference)) {
            buffer_add_text(&where, where.size == 0 ? " WHERE " : " AND ");
            add_match(&where, session, arena, column, after);
        }
    }
    buffer_add(to, where.data, where.size);
    buffer_destroy(&where);
    return any;
}

static enum err
decode(const struct relation *relation, struct slice value, struct arena *arena, struct datum **row,
    struct diag *diag)
{
    uint16_t *wanted = arena_array(arena, relation->column_count, sizeof *wanted);
    *row = arena_array(arena, relation->column_count, sizeof **row);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        wanted[i] = i;
    }
    return row_decode(relation->layout, value, wanted, relation->column_count, *row, diag);
}

/* One row's whole change as a statement, if there is one. */
static enum err
write_change(struct task *task, struct sql_session *session, struct arena *arena,
    const struct relation *relation, const struct txn_change *from, struct buffer *text,
    struct diag *diag)
{
    struct txn *txn = sql_session_txn(session);
    struct change change = {.relation = relation};
    struct txn_row row;
    bool found = false;
    TRY(txn_get(
        task, txn, txn_statement_begin(txn), from->tree, from->key, arena, &row, &found, diag));
    if (found) {
        TRY(decode(relation, row.value, arena, &change.after, diag));
    }
    if (from->had) {
        TRY(decode(relation, from->before, arena, &change.before, diag));
    }
    text->size = 0;
    if (change.before == NULL && change.after == NULL) {
        return ERR_OK;
    }
    if (relation->primary == NULL) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "UNDO AUTO needs a primary key, and table \"%s\" has none", relation->name);
    }
    if (change.before == NULL) {
        write_delete(text, session, arena, &change);
    } else if (change.after == NULL) {
        write_insert(text, session, arena, &change);
    } else if (!write_update(text, session, arena, &change)) {
        text->size = 0;
    }
    return ERR_OK;
}

/* The oldest change of a row says what stood there; the list is newest first. */
static bool
is_oldest(const struct txn_change *changes, size_t count, size_t at)
{
    for (size_t i = at + 1; i < count; i++) {
        if (changes[i].tree.v == changes[at].tree.v &&
            slice_equal(changes[i].key, changes[at].key)) {
            return false;
        }
    }
    return true;
}

static enum err
write_all(struct task *task, struct sql_session *session, struct arena *arena,
    const struct catalog *catalog, const struct txn_change *changes, size_t count,
    struct buffer *to, struct diag *diag)
{
    struct buffer text = {0};
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        const struct index *index = NULL;
        const struct relation *relation =
            catalog_relation_of_tree(catalog, changes[i].tree, &index);
        if (relation == NULL || relation->tree.v != changes[i].tree.v ||
            strcmp(relation->schema_name, SAGA_SCHEMA) == 0 || /* the step's own record */
            !is_oldest(changes, count, i)) {
            continue;
        }
        err = write_change(task, session, arena, relation, &changes[i], &text, diag);
        if (err == ERR_OK && text.size > 0) {
            buffer_add_be32(to, (uint32_t)text.size);
            buffer_add(to, text.data, text.size);
        }
        if (err == ERR_OK && to->size > IMAGES_SIZE_MAX) {
            err = diag_set(diag, ERR_PROGRAM_LIMIT, "a step with UNDO AUTO changes too much");
        }
        if (err == ERR_OK) {
            err = task_breathe(task, diag);
        }
    }
    buffer_destroy(&text);
    return err;
}

enum err
saga__images(struct task *task, struct sql_session *session, const char *table, struct arena *arena,
    struct slice *images, struct diag *diag)
{
    (void)table;
    struct txn *txn = sql_session_txn(session);
    struct txn_change *changes = NULL;
    size_t count = 0;
    TRY(txn_changes(task, txn, arena, CHANGES_MAX, &changes, &count, diag));
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, sql_engine_catalogs(sql_session_engine(session)), txn, &catalog, diag));
    struct buffer text = {0};
    sql_session_env(session)->catalog = catalog; /* names of types */
    enum err err = write_all(task, session, arena, catalog, changes, count, &text, diag);
    sql_session_env(session)->catalog = NULL;
    catalog_release(catalog);
    *images = slice_of(arena_copy(arena, text.data, text.size), text.size);
    buffer_destroy(&text);
    return err;
}

static enum err
run_inverse(struct task *task, struct sql_session *session, const char *text, struct diag *diag)
{
    const struct sql_body_params none = {0};
    struct sql_body *body = NULL;
    struct buffer result = {0};
    uint64_t rows = 0;
    TRY(sql_body_new(session, text, &none, &body, diag));
    enum err err = sql_body_run(task, session, body, NULL, &rows, &result, 0, diag);
    sql_body_delete(body);
    buffer_destroy(&result);
    if (err == ERR_OK && rows != 1) {
        (void)diag_set(diag, ERR_SAGA_CHANGED,
            "the row has changed since the step in a way that UNDO AUTO cannot take back");
        diag_detail(diag, "%s", text);
        return ERR_SAGA_CHANGED;
    }
    return err;
}

enum err
saga__invert(struct task *task, struct sql_session *session, struct slice images, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "inverse");
    struct reader reader = {.rest = images};
    enum err err = ERR_OK;
    while (err == ERR_OK && reader.rest.size > 0 && !reader.bad) {
        err = run_inverse(task, session, reader_text(&reader, &arena), diag);
    }
    arena_destroy(&arena);
    return err != ERR_OK || !reader.bad
               ? err
               : diag_set(diag, ERR_CORRUPT, "the images of a saga's step are damaged");
}
