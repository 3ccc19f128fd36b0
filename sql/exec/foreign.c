/*
 * sql/exec/foreign.c - foreign keys: checks and actions after the rows of a statement are written.
 *
 * Each write of a row leaves events (what PostgreSQL calls queued triggers): a row that refers to
 * another is to be checked; a row that others may refer to has gone or changed its key. They are
 * worked off in their order when the statement has written all its rows, each as a command of its
 * own, so that it sees everything before it. Actions write rows and so leave more events, at the
 * end of the same queue: nothing recurs, however long the chain of cascades is.
 *
 * Rows are found by keys, through txn alone. What a check may see is PostgreSQL's:
 *   - that a referenced row is there, by a new snapshot (READ COMMITTED) or the transaction's own;
 *     the row is locked FOR KEY SHARE in its newest version, so it can change, but not go;
 *   - which rows refer to one that goes, by the newest commits at every level: what the
 *     transaction's snapshot does not see would be left without its row. To change such a row is
 *     40001 at REPEATABLE READ.
 */
#include "sql/exec/foreign.h"
#include "sql/catalog/edit.h"
#include "sql/catalog/foreign_key.h"
#include "sql/catalog/replicated.h"
#include "sql/exec/exec_internal.h"

enum {
    SEEN_MAX = 65536,   /* keys known to be there, of one statement */
    EVENTS_MAX = 65536, /* of a plain INSERT, before they are worked off early */
};

/* ---- events -----------------------------------------------------------------------------------
 */

static size_t
value_count(const struct foreign_event *event)
{
    return event->key->column_count;
}

/* The values of a key's columns, copied. */
static struct datum *
copy_values(
    struct arena *arena, const struct foreign_key *key, const struct datum *row, bool referenced)
{
    const struct relation *table = referenced ? key->referenced_table : key->table;
    const uint16_t *columns = referenced ? key->referenced_columns : key->columns;
    struct datum *values = arena_array(arena, key->column_count, sizeof *values);
    for (uint16_t i = 0; i < key->column_count; i++) {
        values[i] = datum_copy(arena, table->columns[columns[i]].type, row[columns[i]]);
    }
    return values;
}

/* Back into a row of their table. */
static struct datum *
spread_values(
    struct arena *arena, const struct foreign_key *key, const struct datum *values, bool referenced)
{
    const struct relation *table = referenced ? key->referenced_table : key->table;
    const uint16_t *columns = referenced ? key->referenced_columns : key->columns;
    struct datum *row = arena_array(arena, (size_t)table->column_count + 1, sizeof *row);
    for (uint16_t i = 0; i < table->column_count; i++) {
        row[i] = datum_null();
    }
    for (uint16_t i = 0; i < key->column_count; i++) {
        row[columns[i]] = values[i];
    }
    return row;
}

struct foreign_work *
foreign__new(const struct exec_context *context)
{
    struct foreign_work *work = arena_alloc(context->arena, sizeof *work);
    work->context = *context;
    arena_create(&work->memory, "foreign keys");
    arena_create(&work->scratch, "foreign key");
    arena_create(&work->row, "foreign key row");
    return work;
}

void
foreign__destroy(struct foreign_work *work)
{
    if (work == NULL) {
        return;
    }
    for (struct foreign_table *table = work->tables; table != NULL; table = table->next) {
        writer__destroy(&table->writer);
    }
    hash_table_destroy(&work->seen);
    buffer_destroy(&work->key);
    arena_destroy(&work->row);
    arena_destroy(&work->scratch);
    arena_destroy(&work->memory);
}

static struct foreign_event *
add_event(struct foreign_work *work, const struct foreign_key *key, enum foreign_kind kind)
{
    bool later =
        deferred__is(work->context.deferred, key) &&
        (kind == FOREIGN_EVENT_CHECK ||
            (kind == FOREIGN_EVENT_DELETE ? key->on_delete : key->on_update) == FOREIGN_NO_ACTION);
    if (later) {
        return deferred__add(work->context.deferred, key, kind);
    }
    struct foreign_event *event = arena_alloc(&work->memory, sizeof *event);
    event->key = key;
    event->kind = kind;
    event->arena = &work->memory;
    if (work->last == NULL) {
        work->first = event;
    } else {
        work->last->next = event;
    }
    work->last = event;
    work->count++;
    return event;
}

struct seen_key {
    struct hash_entry entry;
    const struct foreign_key *key;
    struct slice bytes;
};

/* The same key was asked for by this statement before: it is there, or will be found missing. */
static bool
seen_before(struct foreign_work *work, const struct foreign_key *key, const struct datum *row)
{
    work->key.size = 0;
    for (uint16_t i = 0; i < key->column_count; i++) {
        uint16_t column = key->columns[i];
        key_encode(&work->key, key->table->columns[column].type, row[column], 0);
    }
    uint64_t hash = hash64(work->key.data, work->key.size, key->oid);
    struct slice bytes = slice_of(work->key.data, work->key.size);
    for (struct hash_entry *at = hash_table_first(&work->seen, hash); at != NULL; at = at->next) {
        const struct seen_key *seen = (const struct seen_key *)(const void *)at;
        if (at->hash == hash && seen->key == key && slice_equal(seen->bytes, bytes)) {
            return true;
        }
    }
    if (work->seen.count < SEEN_MAX) {
        struct seen_key *seen = arena_alloc(&work->memory, sizeof *seen);
        seen->key = key;
        seen->bytes = slice_of(arena_copy(&work->memory, bytes.data, bytes.size), bytes.size);
        hash_table_add(&work->seen, &seen->entry, hash);
    }
    return false;
}

static void
add_check(struct foreign_work *work, const struct foreign_key *key, const struct datum *row,
    struct slice row_key)
{
    struct foreign_event *event = add_event(work, key, FOREIGN_EVENT_CHECK);
    event->old = copy_values(event->arena, key, row, false);
    event->row_key = slice_of(arena_copy(event->arena, row_key.data, row_key.size), row_key.size);
}

void
foreign__inserted(struct foreign_work *work, const struct relation *relation,
    const struct datum *row, struct slice row_key, bool plain)
{
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        const struct foreign_key *key = &relation->foreign[i];
        if (foreign_key_match(key, row) == FOREIGN_FREE) {
            continue;
        }
        bool once = plain && !key->deferrable && key->referenced_table != relation;
        if (!once || foreign_key_has_null(key, row, false) || !seen_before(work, key, row)) {
            add_check(work, key, row, row_key);
        }
    }
}

void
foreign__updated(struct foreign_work *work, const struct relation *relation,
    const struct datum *old, const struct datum *new, struct slice row_key, bool moved)
{
    for (uint32_t i = 0; i < relation->referencing_count; i++) {
        const struct foreign_key *key = relation->referencing[i];
        if (!foreign_key_has_null(key, old, true) && !foreign_key_same(key, old, new, true)) {
            struct foreign_event *event = add_event(work, key, FOREIGN_EVENT_UPDATE);
            event->old = copy_values(event->arena, key, old, true);
            event->new = copy_values(event->arena, key, new, true);
        }
    }
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        const struct foreign_key *key = &relation->foreign[i];
        /* A check that waits for COMMIT looks for the row under its old key. */
        bool again = moved && key->deferrable;
        if (foreign_key_match(key, new) != FOREIGN_FREE &&
            (again || !foreign_key_same(key, old, new, false))) {
            add_check(work, key, new, row_key);
        }
    }
}

void
foreign__deleted(
    struct foreign_work *work, const struct relation *relation, const struct datum *old)
{
    for (uint32_t i = 0; i < relation->referencing_count; i++) {
        const struct foreign_key *key = relation->referencing[i];
        if (!foreign_key_has_null(key, old, true)) {
            struct foreign_event *event = add_event(work, key, FOREIGN_EVENT_DELETE);
            event->old = copy_values(event->arena, key, old, true);
        }
    }
}

/* ---- is the referenced row there? --------------------------------------------------------------
 */

/* `wanted` is a row of the referenced table with the key's columns. */
static enum err
get_referenced(struct task *task, struct foreign_work *work, const struct foreign_key *key,
    const struct datum *wanted, struct txn_snapshot snapshot, struct txn_row *row, bool *found)
{
    const struct exec_context *context = &work->context;
    const struct relation *table = key->referenced_table;
    const struct index *index = key->referenced_index;
    bool has_null;
    work->key.size = 0;
    index_key_columns(table, index, wanted, &work->key, &has_null);
    ASSERT(!has_null);
    struct slice entry_key =
        slice_of(arena_copy(&work->scratch, work->key.data, work->key.size), work->key.size);
    TRY(txn_get(task, context->txn, snapshot, index->primary ? table->tree : index->tree, entry_key,
        &work->scratch, row, found, context->diag));
    if (!*found || index->primary) {
        return ERR_OK;
    }
    struct slice row_key;
    TRY(index_entry_row_key(table, index, row->key, row->value, &row_key, context->diag));
    TRY(txn_get(task, context->txn, snapshot, table->tree, row_key, &work->scratch, row, found,
        context->diag));
    return *found ? ERR_OK
                  : diag_set(context->diag, ERR_INDEX_CORRUPT,
                        "index \"%s\" does not agree with table \"%s\"", index->name, table->name);
}

static enum err
changed_meanwhile(const struct foreign_work *work)
{
    return diag_set(work->context.diag, ERR_SERIALIZATION,
        "could not serialize access due to concurrent update");
}

/* Has the newest version of a referenced row the key still? */
static enum err
has_key(struct foreign_work *work, const struct foreign_key *key, const struct datum *wanted,
    const struct txn_row *row, bool *has)
{
    const struct relation *table = key->referenced_table;
    struct datum *values =
        arena_array(&work->scratch, (size_t)table->column_count + 1, sizeof *values);
    for (uint16_t i = 0; i < key->column_count; i++) {
        bool missing;
        TRY(row_column(table->layout, row->value, key->referenced_columns[i],
            &values[key->referenced_columns[i]], &missing, work->context.diag));
    }
    *has = foreign_key_same(key, values, wanted, true);
    return ERR_OK;
}

/* Locks the row under `wanted`. *locked false: it has changed its key, or has gone. */
static enum err
lock_referenced(struct task *task, struct foreign_work *work, const struct foreign_key *key,
    const struct datum *wanted, struct txn_snapshot snapshot, struct txn_row *row, bool *locked)
{
    const struct exec_context *context = &work->context;
    *locked = false;
    for (;;) {
        struct txn_row latest = {0};
        enum txn_outcome outcome = TXN_GONE;
        enum err err = txn_lock_row(task, context->txn, snapshot, key->referenced_table->tree,
            row->key, row->version, TXN_LOCK_KEY_SHARE, TXN_WAIT, &work->scratch, &latest, &outcome,
            context->diag);
        if (err == ERR_SERIALIZATION) {
            return changed_meanwhile(work);
        }
        TRY(err);
        if (outcome == TXN_DONE) {
            *locked = true;
            return ERR_OK;
        }
        if (outcome != TXN_CHANGED) {
            return ERR_OK;
        }
        bool has = false;
        TRY(has_key(work, key, wanted, &latest, &has));
        if (!has) {
            return ERR_OK;
        }
        *row = latest;
    }
}

/* The newest commits, and all that this transaction has written until now. */
static struct txn_snapshot
newest_snapshot(struct foreign_work *work)
{
    return catalog_newest_snapshot(work->context.store, work->context.txn);
}

static enum err
find_referenced(struct task *task, struct foreign_work *work, const struct foreign_key *key,
    const struct datum *wanted, bool *found)
{
    struct txn *txn = work->context.txn;
    bool own_snapshot = txn_isolation(txn) != TXN_READ_COMMITTED;
    for (;;) {
        struct txn_row row = {0};
        struct txn_snapshot snapshot = txn_statement_begin(txn);
        TRY(get_referenced(task, work, key, wanted, snapshot, &row, found));
        if (*found && own_snapshot) {
            /* Its newest version is what the lock holds fast: that need not be the one we see. */
            snapshot = newest_snapshot(work);
            TRY(get_referenced(task, work, key, wanted, snapshot, &row, found));
            if (!*found) {
                return changed_meanwhile(work);
            }
        }
        if (!*found) {
            return ERR_OK;
        }
        bool locked = false;
        TRY(lock_referenced(task, work, key, wanted, snapshot, &row, &locked));
        if (locked) {
            return ERR_OK;
        }
        TRY(task_breathe(task, work->context.diag));
    }
}

static struct eval
eval_of(struct task *task, struct foreign_work *work)
{
    return (struct eval){.task = task,
        .arena = &work->scratch,
        .diag = work->context.diag,
        .env = work->context.env};
}

static enum err
check_values(struct task *task, struct foreign_work *work, const struct foreign_key *key,
    const struct datum *row)
{
    const struct exec_context *context = &work->context;
    switch (foreign_key_match(key, row)) {
    case FOREIGN_FREE:
        return ERR_OK;
    case FOREIGN_MIXED:
        return foreign_key_mixed(key, context->diag);
    case FOREIGN_CHECK:
        break;
    }
    const struct relation *table = key->referenced_table;
    struct datum *wanted =
        arena_array(&work->scratch, (size_t)table->column_count + 1, sizeof *wanted);
    struct eval eval = eval_of(task, work);
    bool found = false;
    TRY(foreign_key_to_referenced(&eval, key, row, wanted, &found));
    if (found) {
        TRY(find_referenced(task, work, key, wanted, &found));
    }
    return found ? ERR_OK
                 : foreign_key_missing(&work->scratch, context->env, key, row, context->diag);
}

/* The row as it is now: a check of one that has gone is void, and one that has changed since is
 * checked as it is. */
static enum err
reread(struct task *task, struct foreign_work *work, const struct foreign_event *event,
    struct datum *row, bool *found)
{
    const struct foreign_key *key = event->key;
    struct txn_row stored = {0};
    TRY(txn_get(task, work->context.txn, newest_snapshot(work), key->table->tree, event->row_key,
        &work->scratch, &stored, found, work->context.diag));
    for (uint16_t i = 0; *found && i < key->column_count; i++) {
        bool missing;
        TRY(row_column(key->table->layout, stored.value, key->columns[i], &row[key->columns[i]],
            &missing, work->context.diag));
    }
    return ERR_OK;
}

static enum err
check(struct task *task, struct foreign_work *work, const struct foreign_event *event)
{
    struct datum *row = spread_values(&work->scratch, event->key, event->old, false);
    if (work->acted) {
        bool found = false;
        TRY(reread(task, work, event, row, &found));
        if (!found) {
            return ERR_OK;
        }
    }
    return check_values(task, work, event->key, row);
}

/* ---- who refers to a row? ----------------------------------------------------------------------
 */

/* The rows of the referencing table with these values in the key. */
struct child_scan {
    struct foreign_work *work;
    const struct foreign_key *key;
    const struct datum *wanted; /* a row of that table */
    const struct index *index;  /* NULL: the table whole */
    struct txn_snapshot snapshot;
    struct txn_scan *scan;
    uint16_t *columns; /* all that are not dropped */
    uint16_t column_count;
    struct datum *values; /* of the row found */
};

static bool
in_key(const struct foreign_key *key, uint16_t column)
{
    for (uint16_t i = 0; i < key->column_count; i++) {
        if (key->columns[i] == column) {
            return true;
        }
    }
    return false;
}

/* The index with the most leading columns of the key. */
static const struct index *
choose_index(const struct foreign_key *key, uint16_t *leading)
{
    const struct index *best = NULL;
    *leading = 0;
    for (uint16_t i = 0; i < key->table->index_count; i++) {
        const struct index *index = &key->table->indexes[i];
        uint16_t count = 0;
        if (index->partial > 0) {
            continue;
        }
        while (count < index->column_count && in_key(key, index->columns[count])) {
            count++;
        }
        if (count > *leading) {
            *leading = count;
            best = index;
        }
    }
    return best;
}

static enum err
child_scan_open(struct task *task, struct child_scan *scan, struct txn_snapshot snapshot)
{
    struct foreign_work *work = scan->work;
    const struct relation *table = scan->key->table;
    uint16_t leading;
    scan->snapshot = snapshot;
    scan->index = choose_index(scan->key, &leading);
    scan->columns = arena_array(&work->scratch, (size_t)table->column_count + 1, sizeof(uint16_t));
    scan->values =
        arena_array(&work->scratch, (size_t)table->column_count + 1, sizeof *scan->values);
    scan->column_count = 0;
    for (uint16_t i = 0; i < table->column_count; i++) {
        scan->values[i] = datum_null();
        if (!table->columns[i].dropped) {
            scan->columns[scan->column_count++] = i;
        }
    }
    struct txn_range range = {0};
    if (scan->index != NULL) {
        work->key.size = 0;
        for (uint16_t i = 0; i < leading; i++) {
            uint16_t column = scan->index->columns[i];
            key_encode(&work->key, table->columns[column].type, scan->wanted[column],
                scan->index->flags[i]);
        }
        range.has_low = true;
        range.low =
            slice_of(arena_copy(&work->scratch, work->key.data, work->key.size), work->key.size);
        range.has_high = range.high_exclusive = key_prefix_successor(&work->key);
        range.high = slice_of(work->key.data, work->key.size);
    }
    bool secondary = scan->index != NULL && !scan->index->primary;
    return txn_scan_open(task, work->context.txn, snapshot,
        secondary ? scan->index->tree : table->tree, &range, false, &work->scratch, &scan->scan,
        work->context.diag);
}

/* Decodes a row; *same: it has the values. */
static enum err
judge_child(struct child_scan *scan, const struct txn_row *row, bool *same)
{
    TRY(row_decode(scan->key->table->layout, row->value, scan->columns, scan->column_count,
        scan->values, scan->work->context.diag));
    *same = foreign_key_same(scan->key, scan->values, scan->wanted, false);
    return ERR_OK;
}

static enum err
child_scan_next(struct task *task, struct child_scan *scan, struct txn_row *row, bool *found)
{
    struct foreign_work *work = scan->work;
    const struct exec_context *context = &work->context;
    const struct relation *table = scan->key->table;
    for (;;) {
        arena_reset(&work->row);
        TRY(task_breathe(task, context->diag));
        TRY(txn_scan_next(task, scan->scan, row, found, context->diag));
        if (!*found) {
            return ERR_OK;
        }
        if (scan->index != NULL && !scan->index->primary) {
            struct slice row_key;
            TRY(index_entry_row_key(
                table, scan->index, row->key, row->value, &row_key, context->diag));
            TRY(txn_get(task, context->txn, scan->snapshot, table->tree, row_key, &work->row, row,
                found, context->diag));
            if (!*found) {
                return diag_set(context->diag, ERR_INDEX_CORRUPT,
                    "index \"%s\" does not agree with table \"%s\"", scan->index->name,
                    table->name);
            }
        }
        bool same = false;
        TRY(judge_child(scan, row, &same));
        if (same) {
            return ERR_OK;
        }
    }
}

/* ---- what is done about them -------------------------------------------------------------------
 */

/* Writing into a table that an action changes. */
static struct foreign_table *
table_of(struct foreign_work *work, const struct relation *relation)
{
    for (struct foreign_table *table = work->tables; table != NULL; table = table->next) {
        if (table->writer.relation == relation) {
            return table;
        }
    }
    struct foreign_table *table = arena_alloc(work->context.arena, sizeof *table);
    writer__create(&table->writer, &work->context, relation);
    table->next = work->tables;
    work->tables = table;
    return table;
}

static enum err
bind_text_of(struct task *task, struct foreign_work *work, const char *text,
    const struct relation *relation, oid_t type, int32_t typmod, struct expr **expr)
{
    const struct exec_context *context = &work->context;
    struct plan_context plan = {.arena = context->arena,
        .diag = context->diag,
        .catalog = context->catalog,
        .env = context->env,
        .text = text};
    return plan_bind_expression(task, &plan, text, relation, 0, type, typmod, expr);
}

/* Generated columns of a row that an action makes. */
static enum err
make_generated(
    struct task *task, struct foreign_work *work, struct foreign_table *table, struct datum *row)
{
    const struct relation *relation = table->writer.relation;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        if (!column->generated || column->dropped) {
            continue;
        }
        if (table->generated == NULL) {
            table->generated =
                arena_array(work->context.arena, relation->column_count, sizeof(struct expr *));
        }
        if (table->generated[i] == NULL) {
            TRY(bind_text_of(task, work, column->default_text, relation,
                column_declared_type(column), column_declared_typmod(column),
                &table->generated[i]));
        }
        struct eval eval = eval_of(task, work);
        eval.arena = &work->row;
        TRY(exec_evaluate(&eval, table->generated[i], row, NULL, &row[i]));
    }
    return ERR_OK;
}

/* NOT NULL and CHECK of a row that an action makes. */
static enum err
check_new_row(struct task *task, struct foreign_work *work, struct foreign_table *table,
    const struct datum *row)
{
    const struct relation *relation = table->writer.relation;
    const struct exec_context *context = &work->context;
    TRY(writer__check_not_null(&table->writer, row));
    if (table->checks == NULL && relation->check_count > 0) {
        struct expr **checks =
            arena_array(context->arena, relation->check_count, sizeof(struct expr *));
        for (uint16_t i = 0; i < relation->check_count; i++) {
            TRY(bind_text_of(
                task, work, relation->checks[i].text, relation, TYPE_BOOL, -1, &checks[i]));
        }
        table->checks = checks;
    }
    struct eval eval = eval_of(task, work);
    eval.arena = &work->row;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        if (relation->columns[i].domain != 0 && !relation->columns[i].dropped) {
            TRY(value_domain_check(&eval, relation->columns[i].domain, row[i]));
        }
    }
    for (uint16_t i = 0; i < relation->check_count; i++) {
        struct datum passes;
        TRY(exec_evaluate(&eval, table->checks[i], row, NULL, &passes));
        if (!passes.null && passes.i == 0) {
            return relation_check_violation(
                &work->row, context->env, relation, row, relation->checks[i].name, context->diag);
        }
    }
    return ERR_OK;
}

static enum err
set_to_default(
    struct task *task, struct foreign_work *work, const struct column *column, struct datum *value)
{
    *value = datum_null();
    const char *text = catalog_column_default(work->context.catalog, column);
    if (text == NULL) {
        return ERR_OK;
    }
    struct expr *expr;
    struct eval eval = eval_of(task, work);
    TRY(bind_text_of(task, work, text, NULL, column_declared_type(column),
        column_declared_typmod(column), &expr));
    return exec_evaluate(&eval, expr, NULL, NULL, value);
}

/* The columns that the action sets, into `values` (a row of the referencing table). */
static enum err
action_values(struct task *task, struct foreign_work *work, const struct foreign_event *event,
    char action, struct datum *values, bool *set)
{
    const struct foreign_key *key = event->key;
    if (action == FOREIGN_CASCADE) {
        struct datum *referenced = spread_values(&work->scratch, key, event->new, true);
        struct eval eval = eval_of(task, work);
        TRY(foreign_key_assign(&eval, key, referenced, values));
    }
    bool some = event->kind == FOREIGN_EVENT_DELETE && key->set_count > 0;
    uint16_t count = some ? key->set_count : key->column_count;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t column = some ? key->set_columns[i] : key->columns[i];
        set[column] = true;
        if (action == FOREIGN_SET_NULL) {
            values[column] = datum_null();
        } else if (action == FOREIGN_SET_DEFAULT) {
            TRY(set_to_default(task, work, &key->table->columns[column], &values[column]));
        }
    }
    return ERR_OK;
}

/* A referring row that the action would change must be one that the transaction sees. */
static enum err
check_visible(struct task *task, struct foreign_work *work, const struct relation *table,
    struct txn_snapshot own, const struct txn_row *row)
{
    struct txn *txn = work->context.txn;
    if (txn_isolation(txn) == TXN_READ_COMMITTED || row->version.writer == txn_id(txn).v) {
        return ERR_OK;
    }
    struct txn_row seen = {0};
    bool found = false;
    TRY(txn_get(
        task, txn, own, table->tree, row->key, &work->row, &seen, &found, work->context.diag));
    bool same = found && (seen.version.writer == 0 || (seen.version.writer == row->version.writer &&
                                                          seen.version.undo == row->version.undo));
    return same ? ERR_OK : changed_meanwhile(work);
}

struct action {
    struct foreign_work *work;
    const struct foreign_event *event;
    struct child_scan scan;
    struct foreign_table *table;
    struct txn_snapshot own; /* the transaction's own snapshot */
    bool deletes;
    struct datum *values; /* what is set .. */
    bool *set;            /* .. where this says so */
    struct datum *new;
};

static enum err
delete_child(struct task *task, struct action *action, const struct txn_row *row,
    struct txn_row *latest, enum txn_outcome *outcome)
{
    struct foreign_work *work = action->work;
    struct writer *writer = &action->table->writer;
    const struct relation *table = writer->relation;
    TRY(writer__check_bucket(task, writer, action->scan.values));
    TRY(txn_remove(task, work->context.txn, work->context.snapshot, table->tree, row->key,
        row->version, &work->row, latest, outcome, work->context.diag));
    if (*outcome != TXN_DONE) {
        return ERR_OK;
    }
    TRY(writer__remove_entries(task, writer, action->scan.values, row->key));
    foreign__deleted(work, table, action->scan.values);
    return ERR_OK;
}

static enum err
update_child(struct task *task, struct action *action, const struct txn_row *row,
    struct txn_row *latest, enum txn_outcome *outcome)
{
    struct foreign_work *work = action->work;
    struct writer *writer = &action->table->writer;
    const struct relation *table = writer->relation;
    const struct datum *old = action->scan.values;
    for (uint16_t i = 0; i < table->column_count; i++) {
        action->new[i] = action->set[i] ? action->values[i] : old[i];
    }
    TRY(make_generated(task, work, action->table, action->new));
    TRY(check_new_row(task, work, action->table, action->new));
    bool moved = false;
    TRY(writer__update(
        task, writer, old, action->new, row->key, row->version, latest, outcome, &moved));
    if (*outcome == TXN_DONE) {
        struct slice key = moved ? slice_of(writer->key.data, writer->key.size) : row->key;
        foreign__updated(work, table, old, action->new, key, moved);
    }
    return ERR_OK;
}

/* One row that refers to the key, in the version the scan saw. */
static enum err
act_on_child(struct task *task, struct action *action, struct txn_row *row)
{
    TRY(check_visible(task, action->work, action->table->writer.relation, action->own, row));
    for (;;) {
        struct txn_row latest = {0};
        enum txn_outcome outcome = TXN_GONE;
        TRY((action->deletes ? delete_child : update_child)(task, action, row, &latest, &outcome));
        bool same = false;
        if (outcome == TXN_CHANGED) {
            TRY(judge_child(&action->scan, &latest, &same));
        }
        if (!same) {
            return ERR_OK; /* done, or it does not refer to the key any more */
        }
        *row = latest;
    }
}

/* NO ACTION and RESTRICT: there must be none. A row that somebody is deleting is waited for. */
static enum err
refuse_child(struct task *task, struct action *action, struct txn_row *row)
{
    struct foreign_work *work = action->work;
    const struct exec_context *context = &work->context;
    const struct foreign_key *key = action->event->key;
    for (;;) {
        struct txn_row latest = {0};
        enum txn_outcome outcome = TXN_GONE;
        enum err err = txn_lock_row(task, context->txn, context->snapshot, key->table->tree,
            row->key, row->version, TXN_LOCK_KEY_SHARE, TXN_WAIT, &work->row, &latest, &outcome,
            context->diag);
        if (err == ERR_SERIALIZATION) {
            return changed_meanwhile(work);
        }
        TRY(err);
        if (outcome == TXN_DONE) {
            struct datum *old = spread_values(&work->scratch, key, action->event->old, true);
            return foreign_key_in_use(&work->scratch, context->env, key, old, context->diag);
        }
        bool same = false;
        if (outcome == TXN_CHANGED) {
            TRY(judge_child(&action->scan, &latest, &same));
        }
        if (!same) {
            return ERR_OK;
        }
        *row = latest;
    }
}

static enum err
for_children(struct task *task, struct action *action, struct txn_snapshot snapshot,
    enum err (*each)(struct task *task, struct action *action, struct txn_row *row))
{
    struct child_scan *scan = &action->scan;
    enum err err = child_scan_open(task, scan, snapshot);
    while (err == ERR_OK) {
        struct txn_row row = {0};
        bool found = false;
        err = child_scan_next(task, scan, &row, &found);
        if (err != ERR_OK || !found) {
            break;
        }
        err = each(task, action, &row);
    }
    if (scan->scan != NULL) {
        txn_scan_close(task, scan->scan);
        scan->scan = NULL;
    }
    return err;
}

/* SERIALIZABLE: a row that refers to the key in our snapshot, and does not any more, has been
 * changed by somebody we overlap. To go on would place us both after and before him. */
static enum err
still_refers(struct task *task, struct action *action, struct txn_row *row)
{
    struct foreign_work *work = action->work;
    struct txn_row now = {0};
    bool found = false;
    TRY(txn_get(task, work->context.txn, work->context.snapshot, action->event->key->table->tree,
        row->key, &work->row, &now, &found, work->context.diag));
    if (found) {
        TRY(judge_child(&action->scan, &now, &found));
    }
    return found ? ERR_OK : changed_meanwhile(work);
}

/* Has another row taken the key? Then nobody is left without one. */
static enum err
key_is_there(
    struct task *task, struct foreign_work *work, const struct foreign_event *event, bool *there)
{
    struct txn_row row = {0};
    struct datum *wanted = spread_values(&work->scratch, event->key, event->old, true);
    return get_referenced(task, work, event->key, wanted, work->context.snapshot, &row, there);
}

static enum err
run_action(
    struct task *task, struct foreign_work *work, const struct foreign_event *event, char kind)
{
    const struct foreign_key *key = event->key;
    struct txn *txn = work->context.txn;
    struct action action = {.work = work, .event = event};
    action.scan.work = work;
    action.scan.key = key;
    action.own = txn_statement_begin(txn);
    work->context.snapshot = newest_snapshot(work);
    if (kind == FOREIGN_NO_ACTION) {
        bool there = false;
        TRY(key_is_there(task, work, event, &there));
        if (there) {
            return ERR_OK;
        }
    }
    const struct relation *table = key->table;
    size_t columns = (size_t)table->column_count + 1;
    struct datum *wanted = arena_array(&work->scratch, columns, sizeof *wanted);
    struct datum *old = spread_values(&work->scratch, key, event->old, true);
    struct eval eval = eval_of(task, work);
    bool possible = false;
    TRY(foreign_key_to_referencing(&eval, key, old, wanted, &possible));
    if (!possible) {
        return ERR_OK;
    }
    action.scan.wanted = wanted;
    if (txn_isolation(txn) == TXN_SERIALIZABLE) {
        TRY(for_children(task, &action, action.own, still_refers));
    }
    if (kind == FOREIGN_NO_ACTION || kind == FOREIGN_RESTRICT) {
        return for_children(task, &action, work->context.snapshot, refuse_child);
    }
    work->acted = true;
    action.table = table_of(work, table);
    action.deletes = event->kind == FOREIGN_EVENT_DELETE && kind == FOREIGN_CASCADE;
    if (!action.deletes) {
        action.values = arena_array(&work->scratch, columns, sizeof *action.values);
        action.new = arena_array(&work->scratch, columns, sizeof *action.new);
        action.set = arena_array(&work->scratch, columns, sizeof *action.set);
        TRY(action_values(task, work, event, kind, action.values, action.set));
    }
    return for_children(task, &action, work->context.snapshot, act_on_child);
}

static enum err
act(struct task *task, struct foreign_work *work, const struct foreign_event *event)
{
    const struct foreign_key *key = event->key;
    char kind = event->kind == FOREIGN_EVENT_DELETE ? key->on_delete : key->on_update;
    TRY(run_action(task, work, event, kind));
    if (kind == FOREIGN_SET_DEFAULT) {
        /* Rows whose default is the very key that went have not changed, so nobody checks them. */
        arena_reset(&work->scratch);
        return run_action(task, work, event, FOREIGN_NO_ACTION);
    }
    return ERR_OK;
}

enum err
foreign__process(struct task *task, struct foreign_work *work, const struct foreign_event *event)
{
    ASSERT(value_count(event) > 0);
    arena_reset(&work->scratch);
    TRY(task_breathe(task, work->context.diag));
    if (event->kind == FOREIGN_EVENT_CHECK) {
        return check(task, work, event);
    }
    TRY(replicated_check_referenced(work->context.store, event->key, work->context.diag));
    return act(task, work, event);
}

enum err
foreign__finish(struct task *task, struct foreign_work *work)
{
    while (work->first != NULL) {
        struct foreign_event *event = work->first;
        TRY(foreign__process(task, work, event));
        work->first = event->next;
        if (work->first == NULL) {
            work->last = NULL;
        }
    }
    work->count = 0;
    if (work->seen.count == 0) {
        arena_reset(&work->memory);
    }
    return ERR_OK;
}

enum err
foreign__relieve(struct task *task, struct foreign_work *work, const struct relation *relation)
{
    if (work->count < EVENTS_MAX) {
        return ERR_OK;
    }
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        if (relation->foreign[i].referenced_table == relation) {
            return ERR_OK; /* the row may be still to come */
        }
    }
    TRY(foreign__finish(task, work));
    hash_table_clear(&work->seen);
    arena_reset(&work->memory);
    return ERR_OK;
}
