/* saga/views.c - tusk_sagas, tusk_saga_steps. */
#include "base/assert.h"
#include "saga/saga_internal.h"
#include "sql/catalog/access.h"

#define EPOCH_US INT64_C(946684800000000) /* 2000-01-01, since 1970 */

typedef enum err emit_row(void *arg, const struct datum *values);

struct viewing {
    struct eval *eval;
    const struct catalog *catalog;
    struct txn *txn;
    emit_row *emit;
    void *arg;
    bool steps; /* tusk_saga_steps */
    const struct saga_place *place;
    bool starting; /* it is not at home yet */
};

static struct datum
text_of(const char *text)
{
    return text == NULL || text[0] == '\0' ? datum_null() : datum_bytes(text, strlen(text));
}

static struct datum
time_of(int64_t us)
{
    return us == 0 ? datum_null() : datum_int(us - EPOCH_US);
}

static enum err
show_instance(struct viewing *viewing, const struct saga_instance *instance)
{
    const struct saga_definition *definition = &instance->definition;
    bool final = saga__is_final(instance->state);
    struct buffer params = {0};
    for (uint32_t i = 0; i < definition->param_count; i++) {
        buffer_add_text(&params, i == 0 ? "" : ", ");
        buffer_add_text(&params, definition->param_names[i]);
        buffer_add_text(&params, " => ");
        if (instance->params[i].null) {
            buffer_add_text(&params, "NULL");
        } else {
            type_output(
                viewing->eval->env, definition->param_types[i], instance->params[i], &params);
        }
    }
    const struct datum values[] = {
        datum_int((int64_t)instance->number),
        text_of(definition->name),
        text_of(instance->key),
        text_of(viewing->starting ? "starting" : saga__state_name(instance->state)),
        text_of(final                   ? NULL
                : instance->compensates ? "back"
                                        : "forward"),
        text_of(final ? NULL : definition->steps[instance->step].name),
        datum_int(instance->attempts),
        text_of(instance->sqlstate),
        text_of(instance->error),
        text_of(instance->cause),
        text_of(instance->role),
        text_of(instance->database),
        time_of(instance->started),
        time_of(instance->changed),
        final || instance->due == 0 ? datum_null() : time_of(instance->due),
        time_of(instance->deadline),
        datum_bytes(params.data, params.size),
    };
    enum err err = viewing->emit(viewing->arg, values);
    buffer_destroy(&params);
    return err;
}

const char *
saga__outcome_name(enum saga_kind kind, enum saga_outcome outcome)
{
    return outcome == SAGA_TOMBSTONE ? "never done"
           : outcome == SAGA_SKIPPED ? "skipped"
           : kind == SAGA_DO         ? "done"
                                     : "undone";
}

static enum err
show_steps(struct viewing *viewing, const struct saga_instance *instance)
{
    const struct saga_definition *definition = &instance->definition;
    for (uint16_t i = 0; i < definition->step_count; i++) {
        const struct saga_step *step = &definition->steps[i];
        struct saga_record records[2];
        bool found[2];
        for (int kind = SAGA_DO; kind <= (int)SAGA_UNDO; kind++) {
            TRY(saga__record_get(viewing->eval->task, viewing->txn, viewing->place,
                instance->number, i, (enum saga_kind)kind, viewing->eval->arena, &records[kind],
                &found[kind], viewing->eval->diag));
        }
        int last = found[SAGA_UNDO] ? SAGA_UNDO : SAGA_DO;
        const struct saga_record *record = &records[last];
        bool now = !saga__is_final(instance->state) && instance->step == i;
        const char *class = (step->flags & SAGA_PIVOT) != 0       ? "pivot"
                            : (step->flags & SAGA_RETRIABLE) != 0 ? "retriable"
                                                                  : "compensatable";
        const struct datum values[] = {
            datum_int((int64_t)instance->number),
            datum_int(i + 1),
            text_of(step->name),
            text_of(class),
            text_of(step->schema),
            text_of(step->table),
            text_of(found[last] ? saga__outcome_name((enum saga_kind)last, record->outcome)
                    : now       ? "next"
                                : "pending"),
            found[last] ? datum_int(record->attempt) : datum_null(),
            found[last] ? datum_int((int64_t)record->epoch) : datum_null(),
            found[last] ? datum_int((int64_t)record->rows) : datum_null(),
            text_of(found[SAGA_DO] ? records[SAGA_DO].result : NULL),
            found[SAGA_DO] ? time_of(records[SAGA_DO].time) : datum_null(),
            found[SAGA_UNDO] ? time_of(records[SAGA_UNDO].time) : datum_null(),
        };
        TRY(viewing->emit(viewing->arg, values));
    }
    return ERR_OK;
}

/* Own ones; a superuser sees all. */
static bool
may_see(const struct viewing *viewing, const struct saga_instance *instance)
{
    const struct role *role = catalog_role(viewing->catalog, viewing->eval->env->user);
    const struct role *other = catalog_role(viewing->catalog, instance->role);
    return role != NULL && (role->superuser || (other != NULL && catalog_role_is(viewing->catalog,
                                                                     role->oid, other->oid, true)));
}

static enum err
show(struct viewing *viewing, uint64_t number, struct slice value)
{
    struct saga_instance instance;
    struct eval *eval = viewing->eval;
    TRY(saga__decode_instance(eval->arena, number, value, &instance, eval->diag));
    return may_see(viewing, &instance) && !instance.forgets
               ? (viewing->steps ? show_steps : show_instance)(viewing, &instance)
               : ERR_OK;
}

static enum err
scan_instances(struct viewing *viewing)
{
    struct eval *eval = viewing->eval;
    struct txn_scan *scan = NULL;
    const struct txn_range all = {0};
    TRY(txn_scan_open(eval->task, viewing->txn, txn_statement_begin(viewing->txn),
        saga__tree(CATALOG_TREE_SAGA_INSTANCES), &all, false, eval->arena, &scan, eval->diag));
    enum err err = ERR_OK;
    for (bool found = true; err == ERR_OK && found;) {
        struct txn_row row;
        err = txn_scan_next(eval->task, scan, &row, &found, eval->diag);
        if (err != ERR_OK || !found || row.key.size != 8) {
            continue;
        }
        err = show(viewing, load_be64(row.key.data), row.value);
        err = err == ERR_OK ? task_breathe(eval->task, eval->diag) : err;
    }
    txn_scan_close(eval->task, scan);
    return err;
}

static enum err
show_of_slot(void *arg, uint64_t number, struct slice value, bool *enough)
{
    (void)enough;
    return show(arg, number, value);
}

static enum err
show_note(void *arg, uint64_t number, struct slice value, bool *enough)
{
    struct viewing *viewing = arg;
    (void)enough;
    viewing->starting = true;
    enum err err = show(viewing, number, saga__of_note(value));
    viewing->starting = false;
    return err;
}

/* Of a cluster: those whose home is this node. */
static enum err
scan_slots(struct viewing *viewing, struct sql_engine *engine)
{
    struct eval *eval = viewing->eval;
    uint64_t own = 0;
    enum err err = saga__own_slots(eval->task, engine, viewing->txn, &own, NULL, eval->diag);
    for (uint32_t slot = 0; err == ERR_OK && slot < SAGA_SLOTS; slot++) {
        struct saga_place *place = NULL;
        if ((own >> slot & 1) == 0) {
            continue;
        }
        err = saga__place_home(
            eval->task, engine, viewing->txn, slot, true, eval->arena, &place, eval->diag);
        viewing->place = place;
        if (err == ERR_OK && place != NULL) {
            err = saga__each_row(eval->task, viewing->txn, place, CATALOG_TREE_SAGA_INSTANCES,
                eval->arena, show_of_slot, viewing, eval->diag);
        }
        if (err == ERR_OK && place != NULL && !viewing->steps) {
            err = saga__each_note(
                eval->task, viewing->txn, place, eval->arena, show_note, viewing, eval->diag);
        }
        saga__place_end(place);
        viewing->place = NULL;
    }
    return err;
}

static enum err
scan(struct eval *eval, const struct catalog *catalog, bool steps, emit_row *emit, void *arg)
{
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct viewing viewing = {
        .eval = eval, .catalog = catalog, .emit = emit, .arg = arg, .steps = steps};
    struct sql_engine *engine = sql_session_engine(eval->env->session);
    viewing.txn = txn_new(sql_engine_db(engine), 0);
    enum err err = txn_begin(eval->task, viewing.txn, TXN_READ_COMMITTED, true, eval->diag);
    if (err == ERR_OK) {
        err = scan_instances(&viewing);
    }
    if (err == ERR_OK) {
        err = scan_slots(&viewing, engine);
    }
    return saga__end(eval->task, viewing.txn, err, eval->diag);
}

static enum err
scan_sagas(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    return scan(eval, catalog, false, emit, arg);
}

static enum err
scan_steps(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    return scan(eval, catalog, true, emit, arg);
}

void
saga__register_views(struct saga_room *room)
{
    (void)room;
    catalog_set_virtual_scan("tusk_sagas", scan_sagas);
    catalog_set_virtual_scan("tusk_saga_steps", scan_steps);
}
