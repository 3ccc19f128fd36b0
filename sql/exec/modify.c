/*
 * sql/exec/modify.c - INSERT, UPDATE, DELETE, and the locking of rows.
 *
 * The child gives rows as its snapshot sees them, never what this command has written (E4). A row
 * that someone else has changed and committed since comes back from txn as TXN_CHANGED with its
 * newest version (READ COMMITTED only): the WHERE is judged again over that, the new row computed
 * again from it, and the write repeated.
 *
 * A statement with RETURNING runs whole before its first row is given: who asks for a few rows and
 * goes away has still changed all of them.
 */
#include "sql/exec/exec_internal.h"
#include "sql/exec/foreign.h"

/* ---- judging again
 * ----------------------------------------------------------------------------------- */

enum err
exec__rejudge(struct exec *x, const struct plan_relation *relation, const struct txn_row *latest,
    const struct code *recheck, struct arena *arena, struct kept_registers *kept, bool *passes)
{
    struct datum *frame = x->machine.frame;
    if (kept->values == NULL) {
        kept->relation = relation;
        kept->values = arena_array(arena, (size_t)relation->column_count + 1, sizeof *kept->values);
        for (uint32_t i = 0; i < relation->column_count; i++) {
            kept->values[i] = frame[relation->base + relation->columns[i]];
        }
        kept->values[relation->column_count] = frame[relation->version_reg];
    }
    kept->version = latest->version;
    frame[relation->version_reg] = datum_bytes(&kept->version, sizeof kept->version);
    TRY(row_decode(relation->relation->layout, latest->value, relation->columns,
        relation->column_count, frame + relation->base, x->context.diag));
    return exec__passes(x, recheck, passes);
}

/* Before the child goes on: an outer row of a join is still in its registers. */
void
exec__unjudge(struct exec *x, struct kept_registers *kept)
{
    if (kept->values == NULL) {
        return;
    }
    const struct plan_relation *relation = kept->relation;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        x->machine.frame[relation->base + relation->columns[i]] = kept->values[i];
    }
    x->machine.frame[relation->version_reg] = kept->values[relation->column_count];
    kept->values = NULL;
}

static struct txn_version
version_of(const struct exec *x, const struct plan_relation *relation)
{
    struct txn_version version;
    const struct datum *value = &x->machine.frame[relation->version_reg];
    ASSERT(!value->null && value->size == sizeof version);
    memcpy(&version, value->p, sizeof version);
    return version;
}

static struct slice
key_of(const struct exec *x, const struct plan_relation *relation)
{
    const struct datum *value = &x->machine.frame[relation->key_reg];
    return slice_of(value->p, value->size);
}

/* ---- what the three have in common
 * -------------------------------------------------------------------- */

struct modify_state {
    struct node node;
    struct writer writer; /* its memory is that of one row's work */
    struct kept_registers kept;
    struct store returned;
    size_t held;
    bool created, done;
};

static enum err
start(struct task *task, struct exec *x, struct node *node)
{
    struct modify_state *state = (struct modify_state *)(void *)node;
    ASSERT(!state->created); /* a statement changes rows once */
    state->created = true;
    writer__create(&state->writer, &x->context, node->code->plan->modify.relation);
    state->writer.derived = node->code->plan->modify.derived;
    if (node->code->plan->modify.returning_count > 0) {
        store_create(&state->returned, &x->spill, row_form_of(&node->code->saved));
    }
    for (int i = 0; i < 2; i++) {
        if (node->children[i] != NULL) {
            TRY(exec__start(task, x, node->children[i]));
        }
    }
    return ERR_OK;
}

static void
close_state(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct modify_state *state = (struct modify_state *)(void *)node;
    writer__destroy(&state->writer);
    store_destroy(task, &state->returned);
}

static struct foreign_work *
foreign_work(struct exec *x)
{
    if (x->foreign == NULL) {
        x->foreign = foreign__new(&x->context);
    }
    return x->foreign;
}

/* The new row into its registers, checked. */
static enum err
make_row(struct exec *x, struct modify_state *state, const struct datum **row)
{
    const struct node_code *code = state->node.code;
    const struct plan_node *plan = code->plan;
    TRY(exec__evaluate_code(x, &code->modify.columns, &state->writer.memory));
    TRY(exec__evaluate_code(x, &code->modify.generated, &state->writer.memory));
    *row = &x->machine.frame[plan->modify.new_base];
    TRY(writer__check_not_null(&state->writer, *row));
    for (uint32_t i = 0; i < plan->modify.check_count; i++) {
        TRY(exec__evaluate_code(x, &code->modify.checks[i], &state->writer.memory));
        const struct datum *passes = &x->machine.frame[code->modify.checks[i].result];
        if (!passes->null && passes->i == 0 && i >= plan->modify.table_check_count) {
            return relation_option_violation(&state->writer.memory, x->context.env,
                plan->modify.relation, *row, plan->modify.check_names[i], x->context.diag);
        }
        if (!passes->null && passes->i == 0) {
            return relation_check_violation(&state->writer.memory, x->context.env,
                plan->modify.relation, *row, plan->modify.check_names[i], x->context.diag);
        }
    }
    return ERR_OK;
}

static enum err
count_row(struct task *task, struct exec *x, struct modify_state *state)
{
    const struct node_code *code = state->node.code;
    x->row_count += code->number < x->program->main_count ? 1 : 0; /* else of a WITH query */
    if (code->plan->modify.returning_count == 0) {
        return ERR_OK;
    }
    TRY(exec__evaluate_code(x, &code->modify.returning, &state->writer.memory));
    TRY(store_add(task, &state->returned, x->machine.frame, code->saved.regs));
    return exec__hold(x, &state->held, store_memory(&state->returned));
}

typedef enum err modify_row(struct task *task, struct exec *x, struct modify_state *state);

static enum err
run(struct task *task, struct exec *x, struct modify_state *state, modify_row *row)
{
    struct node *child = state->node.children[0];
    for (;;) {
        bool found = child == NULL;
        if (child != NULL) {
            TRY(exec__next(task, x, child, &found));
        }
        if (!found) {
            return ERR_OK;
        }
        TRY(task_breathe(task, x->context.diag));
        arena_reset(&state->writer.memory);
        TRY(row(task, x, state));
        exec__unjudge(x, &state->kept);
        if (child == NULL) {
            return ERR_OK;
        }
    }
}

static enum err
next(struct task *task, struct exec *x, struct node *node, modify_row *row, bool *found)
{
    struct modify_state *state = (struct modify_state *)(void *)node;
    if (!state->done) {
        TRY(run(task, x, state, row));
        state->done = true;
        if (node->code == x->program->root && x->foreign != NULL) {
            TRY(foreign__finish(task, x->foreign)); /* before the statement's result */
        }
    }
    const struct datum *returned = NULL;
    TRY(store_next(task, &state->returned, &returned));
    *found = returned != NULL;
    if (*found) {
        exec__restore(x->machine.frame, &node->code->saved, returned);
    }
    return ERR_OK;
}

/* Someone else was there first. *again: the row is still ours to change, in its newest version. */
static enum err
after_outcome(struct exec *x, struct modify_state *state, enum txn_outcome outcome,
    const struct txn_row *latest, struct txn_version *version, bool *again)
{
    *again = false;
    if (outcome == TXN_CHANGED) {
        const struct node_code *code = state->node.code;
        TRY(exec__rejudge(x, &code->plan->modify.target, latest, &code->modify.recheck,
            &state->writer.memory, &state->kept, again));
        *version = latest->version;
    }
    return ERR_OK;
}

/* ---- UPDATE
 * ------------------------------------------------------------------------------------------- */

/* The row keeps its key: entries whose columns have changed are moved. */
static enum err
update_entries(struct task *task, struct modify_state *state, const struct datum *old,
    const struct datum *new, struct slice key)
{
    const struct relation *relation = state->writer.relation;
    if (state->node.code->modify.derives) {
        TRY(writer__derive(task, &state->writer, WRITER_OLD, old, &old));
        TRY(writer__derive(task, &state->writer, WRITER_NEW, new, &new));
    }
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (!state->node.code->modify.touched[i] || index->primary ||
            index_same_entry(relation, index, old, new)) {
            continue;
        }
        TRY(writer__remove_entry(task, &state->writer, index, old, key));
        TRY(writer__add_entry(task, &state->writer, index, new, key));
    }
    return ERR_OK;
}

/* A changed unique key is what FOR KEY SHARE holds fast, so the row must be locked more strongly
 * than txn_update does. */
static bool
changes_unique(const struct modify_state *state, const struct datum *old, const struct datum *new)
{
    const struct relation *relation = state->writer.relation;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (index->unique && !index->primary && !index_has_derived(index) &&
            state->node.code->modify.touched[i] && !index_same_key(relation, index, old, new)) {
            return true;
        }
    }
    return false;
}

/* Writes the new row in place of the version seen; entries are the caller's. */
static enum err
replace_row(struct task *task, struct exec *x, struct modify_state *state, bool locks,
    struct txn_version version, const struct datum *row, struct txn_row *latest,
    enum txn_outcome *outcome)
{
    const struct relation *relation = state->writer.relation;
    struct arena *memory = &state->writer.memory;
    struct slice key = key_of(x, &state->node.code->plan->modify.target);
    TRY(writer__check_bucket(task, &state->writer, row));
    if (locks) {
        TRY(txn_lock_row(task, x->context.txn, x->context.snapshot, relation->tree, key, version,
            TXN_LOCK_UPDATE, TXN_WAIT, memory, latest, outcome, x->context.diag));
        if (*outcome != TXN_DONE) {
            return ERR_OK;
        }
    }
    struct buffer *bytes = &state->writer.row;
    bytes->size = 0;
    row_encode(relation->layout, row, bytes);
    return txn_update(task, x->context.txn, x->context.snapshot, relation->tree, key, version,
        slice_of(bytes->data, bytes->size), memory, latest, outcome, x->context.diag);
}

/* The row in the target's registers. *changed false: somebody else's newest version does not pass,
 * or it is gone, or this command has changed it before. */
static enum err
change_row(struct task *task, struct exec *x, struct modify_state *state, bool *changed)
{
    const struct node_code *code = state->node.code;
    const struct plan_relation *target = &code->plan->modify.target;
    const struct relation *relation = state->writer.relation;
    const struct datum *old = &x->machine.frame[target->base];
    struct slice key = key_of(x, target);
    struct txn_version version = version_of(x, target);
    *changed = false;
    TRY(writer__check_bucket(task, &state->writer, old));
    for (;;) {
        const struct datum *row = NULL;
        struct txn_row latest = {0};
        enum txn_outcome outcome = TXN_GONE;
        TRY(make_row(x, state, &row));
        bool moves =
            code->modify.key_changes && !index_same_key(relation, relation->primary, old, row);
        if (moves) {
            TRY(txn_remove(task, x->context.txn, x->context.snapshot, relation->tree, key, version,
                &state->writer.memory, &latest, &outcome, x->context.diag));
        } else {
            TRY(replace_row(
                task, x, state, changes_unique(state, old, row), version, row, &latest, &outcome));
        }
        if (outcome == TXN_DONE) {
            if (moves) {
                TRY(writer__remove_entries(task, &state->writer, old, key));
                TRY(writer__insert(task, &state->writer, row));
            } else {
                TRY(update_entries(task, state, old, row, key));
            }
            if (relation->foreign_count > 0 || relation->referencing_count > 0) {
                const struct buffer *moved = &state->writer.key;
                foreign__updated(foreign_work(x), relation, old, row,
                    moves ? slice_of(moved->data, moved->size) : key, moves);
            }
            *changed = true;
            return ERR_OK;
        }
        bool again = false;
        TRY(after_outcome(x, state, outcome, &latest, &version, &again));
        if (!again) {
            return ERR_OK;
        }
    }
}

static enum err
update_row(struct task *task, struct exec *x, struct modify_state *state)
{
    bool changed = false;
    TRY(change_row(task, x, state, &changed));
    return changed ? count_row(task, x, state) : ERR_OK;
}

static enum err
update_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    return next(task, x, node, update_row, found);
}

const struct node_kind exec__update = {.state_size = sizeof(struct modify_state),
    .start = start,
    .next = update_next,
    .close = close_state};

/* ---- INSERT
 * ------------------------------------------------------------------------------------------- */

/* A duplicate that the statement's snapshot does not see, and that is not our own: where the
 * snapshot is the transaction's, doing nothing would rest on a row that is not there. */
static enum err
check_visible(struct task *task, struct exec *x, struct modify_state *state,
    const struct index *conflict, const struct txn_row *existing)
{
    struct txn *txn = x->context.txn;
    if (txn_isolation(txn) == TXN_READ_COMMITTED || existing->version.writer == txn_id(txn).v) {
        return ERR_OK;
    }
    struct txn_row row = {0};
    bool found = false;
    TRY(txn_get(task, txn, x->context.snapshot, conflict->tree, existing->key,
        &state->writer.memory, &row, &found, x->context.diag));
    return found ? ERR_OK
                 : diag_set(x->context.diag, ERR_SERIALIZATION,
                       "could not serialize access due to concurrent update");
}

static enum err
affected_twice(struct exec *x)
{
    enum err err = diag_set(x->context.diag, ERR_CARDINALITY,
        "ON CONFLICT DO UPDATE command cannot affect row a second time");
    diag_hint(x->context.diag, "Ensure that no rows proposed for insertion within the same command "
                               "have duplicate constrained values.");
    return err;
}

static bool
touches_unique(const struct node_code *code)
{
    const struct relation *relation = code->plan->modify.relation;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        if (relation->indexes[i].unique && code->modify.touched[i]) {
            return true;
        }
    }
    return false;
}

/* Locks the row in the way in its newest version and brings it into the update's registers.
 * *locked false: it is not in the way any more. */
static enum err
lock_conflict(struct task *task, struct exec *x, struct modify_state *update,
    const struct index *conflict, struct slice key, const struct datum *proposed, bool *locked)
{
    const struct plan_relation *target = &update->node.code->plan->modify.target;
    const struct relation *relation = target->relation;
    struct arena *memory = &update->writer.memory;
    struct txn_row row = {0};
    bool seen = false;
    *locked = false;
    TRY(txn_get(task, x->context.txn, x->context.snapshot, relation->tree, key, memory, &row, &seen,
        x->context.diag));
    for (;;) {
        struct txn_row latest = {0};
        enum txn_outcome outcome = TXN_GONE;
        TRY(txn_lock_row(task, x->context.txn, x->context.snapshot, relation->tree, key,
            row.version,
            touches_unique(update->node.code) ? TXN_LOCK_UPDATE : TXN_LOCK_NO_KEY_UPDATE, TXN_WAIT,
            memory, &latest, &outcome, x->context.diag));
        if (outcome == TXN_SELF) {
            return affected_twice(x);
        }
        if (outcome == TXN_DONE) {
            break;
        }
        if (outcome != TXN_CHANGED) {
            return ERR_OK;
        }
        row = latest;
    }
    struct datum *frame = x->machine.frame;
    TRY(row_decode(relation->layout, row.value, target->columns, target->column_count,
        frame + target->base, x->context.diag));
    frame[target->key_reg] = datum_bytes(arena_copy(memory, key.data, key.size), key.size);
    frame[target->version_reg] =
        datum_bytes(arena_copy(memory, &row.version, sizeof row.version), sizeof row.version);
    const struct datum *now = frame + target->base;
    TRY(writer__derive(task, &update->writer, WRITER_OLD, now, &now));
    TRY(writer__derive(task, &update->writer, WRITER_NEW, proposed, &proposed));
    *locked =
        index_holds(relation, conflict, now) && index_same_key(relation, conflict, now, proposed);
    return ERR_OK;
}

/* DO UPDATE. *settled false: the way may be free now, try to insert again. */
static enum err
update_conflict(struct task *task, struct exec *x, struct modify_state *state,
    const struct index *conflict, const struct txn_row *existing, bool *settled)
{
    struct modify_state *update = (struct modify_state *)(void *)state->node.children[1];
    const struct plan_node *plan = state->node.code->plan;
    struct datum *frame = x->machine.frame;
    struct datum *row = &frame[plan->modify.new_base];
    struct slice key = existing->key;
    arena_reset(&update->writer.memory);
    if (!conflict->primary) {
        TRY(index_entry_row_key(state->writer.relation, conflict, existing->key, existing->value,
            &key, x->context.diag));
    }
    TRY(lock_conflict(task, x, update, conflict, key, row, settled));
    if (!*settled) {
        return ERR_OK;
    }
    bool passes = false, changed = false;
    TRY(exec__passes(x, &update->node.code->filter, &passes));
    if (!passes) {
        return ERR_OK;
    }
    TRY(change_row(task, x, update, &changed));
    if (!changed) { /* a subquery of the statement's own has changed it meanwhile */
        return affected_twice(x);
    }
    memcpy(row, &frame[update->node.code->plan->modify.new_base],
        state->writer.relation->column_count * sizeof *row);
    return count_row(task, x, state);
}

static enum err
inserted(struct task *task, struct exec *x, struct modify_state *state, const struct datum *row)
{
    const struct writer *writer = &state->writer;
    if (writer->relation->foreign_count > 0) {
        /* The root of a plan that does not update: nothing else in it changes rows. */
        bool plain = state->node.code == x->program->root && state->node.children[1] == NULL &&
                     x->program->shared_count == 0;
        foreign__inserted(foreign_work(x), writer->relation, row,
            slice_of(writer->key.data, writer->key.size), plain);
        if (plain) {
            TRY(foreign__relieve(task, x->foreign, writer->relation));
        }
    }
    return count_row(task, x, state);
}

static enum err
insert_or_resolve(
    struct task *task, struct exec *x, struct modify_state *state, const struct datum *row)
{
    for (;;) {
        const struct index *conflict = NULL;
        struct txn_row existing = {0};
        TRY(writer__try_insert(task, &state->writer, row, state->node.code->plan->modify.arbiters,
            &conflict, &existing));
        if (conflict == NULL) {
            return inserted(task, x, state, row);
        }
        if (state->node.children[1] == NULL) {
            return check_visible(task, x, state, conflict, &existing);
        }
        bool settled = false;
        TRY(update_conflict(task, x, state, conflict, &existing, &settled));
        if (settled) {
            return ERR_OK;
        }
        TRY(task_breathe(task, x->context.diag));
    }
}

static enum err
insert_row(struct task *task, struct exec *x, struct modify_state *state)
{
    const struct datum *row = NULL;
    TRY(make_row(x, state, &row));
    if (state->node.code->plan->modify.arbiters != NULL) {
        return insert_or_resolve(task, x, state, row);
    }
    TRY(writer__insert(task, &state->writer, row));
    return inserted(task, x, state, row);
}

static enum err
insert_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    return next(task, x, node, insert_row, found);
}

const struct node_kind exec__insert = {.state_size = sizeof(struct modify_state),
    .start = start,
    .next = insert_next,
    .close = close_state};

/* ---- DELETE
 * ------------------------------------------------------------------------------------------- */

static enum err
delete_row(struct task *task, struct exec *x, struct modify_state *state)
{
    const struct plan_relation *target = &state->node.code->plan->modify.target;
    struct slice key = key_of(x, target);
    struct txn_version version = version_of(x, target);
    TRY(writer__check_bucket(task, &state->writer, &x->machine.frame[target->base]));
    for (;;) {
        struct txn_row latest = {0};
        enum txn_outcome outcome = TXN_GONE;
        TRY(txn_remove(task, x->context.txn, x->context.snapshot, state->writer.relation->tree, key,
            version, &state->writer.memory, &latest, &outcome, x->context.diag));
        if (outcome == TXN_DONE) {
            const struct datum *old = &x->machine.frame[target->base];
            TRY(writer__remove_entries(task, &state->writer, old, key));
            if (state->writer.relation->referencing_count > 0) {
                foreign__deleted(foreign_work(x), state->writer.relation, old);
            }
            return count_row(task, x, state);
        }
        bool again = false;
        TRY(after_outcome(x, state, outcome, &latest, &version, &again));
        if (!again) {
            return ERR_OK;
        }
    }
}

static enum err
delete_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    return next(task, x, node, delete_row, found);
}

const struct node_kind exec__delete = {.state_size = sizeof(struct modify_state),
    .start = start,
    .next = delete_next,
    .close = close_state};

/* ---- LOCK
 * -----------------------------------------------------------------------------------------------
 */

struct lock_state {
    struct node node;
    struct arena memory;         /* newest versions of the current row's relations */
    struct kept_registers *kept; /* one per lock */
};

static enum err
lock_start(struct task *task, struct exec *x, struct node *node)
{
    struct lock_state *state = (struct lock_state *)(void *)node;
    if (state->kept == NULL) {
        state->kept = arena_array(
            x->context.arena, (size_t)node->code->plan->lock.lock_count + 1, sizeof *state->kept);
    }
    for (uint32_t i = 0; i < node->code->plan->lock.lock_count; i++) {
        state->kept[i].values = NULL;
    }
    return exec__start(task, x, node->children[0]);
}

static enum err
lock_one(struct task *task, struct exec *x, struct lock_state *state, uint32_t at, bool *stays)
{
    const struct node_code *code = state->node.code;
    const struct plan_lock *lock = &code->plan->lock.locks[at];
    const struct plan_relation *relation = lock->relation;
    if (x->machine.frame[relation->key_reg].null) {
        return ERR_OK; /* the side of an outer join that has no row */
    }
    struct slice key = key_of(x, relation);
    struct txn_version version = version_of(x, relation);
    for (;;) {
        struct txn_row latest = {0};
        enum txn_outcome outcome = TXN_GONE;
        enum err err = txn_lock_row(task, x->context.txn, x->context.snapshot,
            relation->relation->tree, key, version, lock->mode, lock->wait, &state->memory, &latest,
            &outcome, x->context.diag);
        if (err == ERR_LOCK_NOT_AVAILABLE && lock->wait == TXN_NOWAIT) {
            return diag_set(x->context.diag, ERR_LOCK_NOT_AVAILABLE,
                "could not obtain lock on row in relation \"%s\"", relation->relation->name);
        }
        if (err == ERR_SERIALIZATION) { /* PostgreSQL's words here, for a deleted row as well */
            return diag_set(x->context.diag, ERR_SERIALIZATION,
                "could not serialize access due to concurrent update");
        }
        TRY(err);
        if (outcome == TXN_DONE) {
            return ERR_OK;
        }
        *stays = false;
        if (outcome != TXN_CHANGED) {
            return ERR_OK;
        }
        TRY(exec__rejudge(
            x, relation, &latest, &code->lock.recheck, &state->memory, &state->kept[at], stays));
        if (!*stays) {
            return ERR_OK;
        }
        version = latest.version;
    }
}

static enum err
lock_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct lock_state *state = (struct lock_state *)(void *)node;
    uint32_t count = node->code->plan->lock.lock_count;
    for (;;) {
        for (uint32_t i = count; i > 0; i--) {
            exec__unjudge(x, &state->kept[i - 1]);
        }
        arena_reset(&state->memory);
        TRY(exec__next(task, x, node->children[0], found));
        if (!*found) {
            return ERR_OK;
        }
        bool stays = true;
        for (uint32_t i = 0; i < count && stays; i++) {
            TRY(lock_one(task, x, state, i, &stays));
        }
        if (stays) {
            return ERR_OK;
        }
    }
}

static void
lock_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    arena_destroy(&((struct lock_state *)(void *)node)->memory);
}

const struct node_kind exec__lock = {.state_size = sizeof(struct lock_state),
    .start = lock_start,
    .next = lock_next,
    .close = lock_close};
