/*
 * saga/step.c - a step's effect and its record, in one transaction.
 *
 * Invariants (README.md): S1 a step takes effect at most once; S2 nothing is undone that was not
 * done, and what is undone first is not done later; S3 no step under an epoch that is over.
 */
#include "saga/saga_internal.h"

#include "base/assert.h"

/* S3. The row of the home's epoch is shared until the end of the transaction, so who begins a new
 * one waits for the steps under the old. An epoch of another home begins with its first step here.
 */
static enum err
check_epoch(struct task *task, struct txn *txn, uint64_t home_number, uint64_t epoch,
    struct arena *arena, struct diag *diag)
{
    uint8_t home[8];
    store_be64(home, home_number);
    struct slice key = slice_of(home, sizeof home);
    tree_id_t tree = saga__tree(CATALOG_TREE_SAGA_EPOCHS);
    uint8_t value[16] = {0};
    store_be64(value, epoch);
    struct slice bytes = slice_of(value, sizeof value);
    for (;;) {
        struct txn_row row;
        bool found = false;
        struct txn_snapshot snapshot = txn_statement_begin(txn);
        TRY(txn_get(task, txn, snapshot, tree, key, arena, &row, &found, diag));
        if (!found) {
            enum err err = txn_insert(task, txn, tree, key, bytes, NULL, NULL, diag);
            if (err != ERR_UNIQUE) {
                return err;
            }
        }
        enum txn_outcome outcome = found ? TXN_CHANGED : TXN_GONE;
        while (outcome == TXN_CHANGED) {
            struct txn_row latest = row;
            uint64_t now = row.value.size >= 8 ? load_be64(row.value.data) : 0;
            if (now > epoch) {
                return diag_set(diag, ERR_SAGA_EPOCH,
                    "a saga's step comes under epoch %llu, and it is %llu",
                    (unsigned long long)epoch, (unsigned long long)now);
            }
            if (now < epoch) {
                TRY(txn_update(task, txn, snapshot, tree, key, row.version, bytes, arena, &latest,
                    &outcome, diag));
            } else {
                TRY(txn_lock_row(task, txn, snapshot, tree, key, row.version, TXN_LOCK_SHARE,
                    TXN_WAIT, arena, &latest, &outcome, diag));
            }
            row = latest;
        }
        if (outcome == TXN_DONE || outcome == TXN_SELF) {
            return ERR_OK;
        }
        TRY(saga__pause(task, diag)); /* somebody else began one: look again */
    }
}

/* The values as their types are here, where instances have texts. */
static enum err
take_params(struct task *task, struct sql_session *session, const struct saga_delivery *delivery,
    struct arena *arena, struct saga_definition *definition, const struct datum **params,
    struct diag *diag)
{
    struct eval_env *env = sql_session_env(session);
    struct catalog *catalog = NULL;
    bool named = false;
    *definition = *delivery->definition;
    *params = delivery->params;
    for (uint32_t i = 0; i < definition->param_count; i++) {
        named |= definition->param_type_names[i][0] != '\0';
    }
    if (!named) {
        return ERR_OK;
    }
    definition->param_types = arena_copy(
        arena, definition->param_types, definition->param_count * sizeof *definition->param_types);
    TRY(catalog_get(task, sql_engine_catalogs(sql_session_engine(session)),
        sql_session_txn(session), &catalog, diag));
    const struct catalog *outer = env->catalog;
    env->catalog = catalog;
    struct eval eval = {.task = task, .arena = arena, .diag = diag, .env = env};
    enum err err = saga__params_in(&eval, definition, params, diag);
    env->catalog = outer;
    catalog_release(catalog);
    return err;
}

static enum err
run_body(struct task *task, struct sql_session *session, const struct saga_delivery *delivery,
    const char *text, struct saga_record *record, struct arena *arena, struct diag *diag)
{
    struct saga_definition definition;
    const struct datum *values = NULL;
    TRY(take_params(task, session, delivery, arena, &definition, &values, diag));
    const struct sql_body_params params = {.routine = definition.name,
        .names = definition.param_names,
        .types = definition.param_types,
        .count = definition.param_count};
    struct sql_body *body = NULL;
    TRY(sql_body_new(session, text, &params, &body, diag));
    struct buffer result = {0};
    enum err err =
        sql_body_run(task, session, body, values, &record->rows, &result, SAGA_RESULT_MAX, diag);
    record->result = arena_strndup(arena, (const char *)result.data, result.size);
    buffer_destroy(&result);
    sql_body_delete(body);
    return err;
}

static enum err
do_step(struct task *task, struct sql_session *session, const struct saga_delivery *delivery,
    struct arena *arena, struct saga_record *record, struct diag *diag)
{
    const struct saga_step *step = &delivery->definition->steps[delivery->step];
    TRY(run_body(task, session, delivery, step->doing, record, arena, diag));
    if ((step->flags & SAGA_EXPECT_ROWS) != 0 && record->rows == 0) {
        return diag_set(diag, ERR_SAGA_NO_ROWS, "step \"%s\" found no rows", step->name);
    }
    return (step->flags & SAGA_UNDO_AUTO) == 0
               ? ERR_OK
               : saga__images(task, session, step->table, arena, &record->images, diag);
}

/* S2. What was not done gets a tombstone where its record would stand, so that of a late delivery
 * and this one the second sees the first. */
static enum err
undo_step(struct task *task, struct sql_session *session, const struct saga_delivery *delivery,
    struct arena *arena, struct saga_record *record, struct diag *diag)
{
    struct txn *txn = sql_session_txn(session);
    const struct saga_step *step = &delivery->definition->steps[delivery->step];
    struct saga_record done;
    bool taken = false;
    bool found = false;
    TRY(saga__record_claim(
        task, txn, delivery->place, delivery->number, delivery->step, SAGA_DO, &taken, diag));
    if (!taken) {
        struct saga_record tombstone = *record;
        tombstone.outcome = SAGA_TOMBSTONE;
        record->outcome = SAGA_TOMBSTONE;
        return saga__record_put(task, txn, delivery->place, delivery->number, delivery->step,
            SAGA_DO, &tombstone, diag);
    }
    TRY(saga__record_get(task, txn, delivery->place, delivery->number, delivery->step, SAGA_DO,
        arena, &done, &found, diag));
    if (!found || done.outcome != SAGA_DONE) {
        record->outcome = found ? done.outcome : SAGA_TOMBSTONE;
        return ERR_OK;
    }
    if ((step->flags & SAGA_HAS_UNDO) == 0) { /* S11 */
        return diag_set(diag, ERR_SAGA_TOMBSTONE,
            "step \"%s\" is done, and the saga can only go forward", step->name);
    }
    if ((step->flags & SAGA_UNDO_AUTO) != 0) {
        return saga__invert(task, session, done.images, diag);
    }
    return run_body(task, session, delivery, step->undoing, record, arena, diag);
}

enum err
saga__deliver(struct task *task, struct sql_session *session, const struct saga_delivery *delivery,
    struct arena *arena, struct saga_record *record, struct diag *diag)
{
    struct txn *txn = sql_session_txn(session);
    TRY(check_epoch(task, txn, delivery->home, delivery->epoch, arena, diag));
    bool taken = false;
    TRY(saga__record_claim(task, txn, delivery->place, delivery->number, delivery->step,
        delivery->kind, &taken, diag));
    if (taken) { /* S1 */
        bool found = false;
        TRY(saga__record_get(task, txn, delivery->place, delivery->number, delivery->step,
            delivery->kind, arena, record, &found, diag));
        return found && (delivery->kind == SAGA_UNDO || record->outcome != SAGA_TOMBSTONE)
                   ? ERR_OK
                   : diag_set(diag, ERR_SAGA_TOMBSTONE,
                         "step \"%s\" of saga %llu comes late: it was undone already",
                         delivery->definition->steps[delivery->step].name,
                         (unsigned long long)delivery->number);
    }
    *record = (struct saga_record){.outcome = SAGA_DONE,
        .attempt = delivery->attempt,
        .epoch = delivery->epoch,
        .time = world_wall_us(task_world(task)),
        .result = ""};
    if (delivery->skips) {
        record->outcome = SAGA_SKIPPED;
    } else {
        TRY((delivery->kind == SAGA_DO ? do_step : undo_step)(
            task, session, delivery, arena, record, diag));
    }
    TRY(saga__record_put(task, txn, delivery->place, delivery->number, delivery->step,
        delivery->kind, record, diag));
    uint8_t id[SAGA_ID_SIZE];
    saga__id(delivery->home, delivery->number, id);
    txn_set_saga(txn, id, (uint32_t)delivery->step * 2 + (uint32_t)delivery->kind, false);
    return ERR_OK;
}
