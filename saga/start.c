/* saga/start.c - START SAGA, ALTER SAGA INSTANCE. */
#include "base/assert.h"
#include "base/hash.h"
#include "saga/saga_internal.h"

enum {
    LOOK_AGAIN_US = 1000 * 1000,
};

struct starting {
    struct task *task;
    struct saga_room *room;
    struct sql_session *session;
    const struct ast_start_saga *statement;
    struct arena *arena;
    struct saga_instance instance;
    uint8_t digest[HASH128_SIZE];
    struct saga_waiter waiter;
    uint32_t slot; /* in a cluster */
    bool in_block;
    bool noted; /* the home is another node */
    struct diag *diag;
};

static enum err
find_definition(struct starting *starting)
{
    struct buffer key = {0};
    struct slice value;
    bool found = false;
    saga__definition_key(sql_session_database(starting->session), starting->statement->name, &key);
    enum err err =
        saga__get(starting->task, sql_session_txn(starting->session), NULL, CATALOG_TREE_SAGAS,
            slice_of(key.data, key.size), false, starting->arena, &value, &found, starting->diag);
    buffer_destroy(&key);
    TRY(err);
    if (!found) {
        return diag_set(starting->diag, ERR_UNDEFINED_OBJECT, "saga \"%s\" does not exist",
            starting->statement->name);
    }
    struct reader reader = {.rest = value};
    return saga__decode_definition(
        starting->arena, &reader, &starting->instance.definition, starting->diag);
}

static enum err
read_arguments(struct starting *starting, const char *text)
{
    const struct saga_definition *definition = &starting->instance.definition;
    uint32_t count = ast_list_count(starting->statement->args);
    if (count != definition->param_count) {
        return diag_set(starting->diag, ERR_UNDEFINED_FUNCTION,
            "saga \"%s\" has %u parameters, and %u are given", definition->name,
            definition->param_count, count);
    }
    starting->instance.params =
        arena_array(starting->arena, (size_t)count + 1, sizeof *starting->instance.params);
    struct catalog *catalog = NULL;
    TRY(catalog_get(starting->task, sql_engine_catalogs(starting->room->engine),
        sql_session_txn(starting->session), &catalog, starting->diag));
    struct eval_env *env = sql_session_env(starting->session);
    struct buffer request = {0};
    buffer_add_sized(&request, definition->name);
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        struct datum *value = &starting->instance.params[i];
        err = sql_session_evaluate(starting->task, starting->session,
            ast_list_at(starting->statement->args, i), text, definition->param_types[i],
            starting->arena, value, starting->diag);
        int32_t typmod = -1;
        definition->param_types[i] =
            catalog_base_type(catalog, definition->param_types[i], &typmod);
        buffer_add_u8(&request, value->null);
        if (err == ERR_OK && !value->null) {
            struct buffer output = {0};
            env->catalog = catalog; /* evaluating has put its own there */
            type_output(env, definition->param_types[i], *value, &output);
            buffer_add_be32(&request, (uint32_t)output.size);
            buffer_add(&request, output.data, output.size);
            buffer_destroy(&output);
        }
    }
    hash128(request.data, request.size, starting->digest);
    buffer_destroy(&request);
    env->catalog = catalog;
    if (err == ERR_OK) {
        saga__params_out(env, &starting->instance, starting->arena);
    }
    env->catalog = NULL;
    catalog_release(catalog);
    return err;
}

void
saga__key(const struct saga_instance *instance, struct buffer *key)
{
    buffer_add(key, instance->database, strlen(instance->database) + 1);
    buffer_add(key, instance->role, strlen(instance->role) + 1);
    buffer_add_text(key, instance->key);
}

static uint64_t
new_number(struct saga_room *room)
{
    latch_acquire(&room->latch);
    uint64_t number = room->next_number++;
    latch_release(&room->latch);
    return number;
}

enum err
saga__claim_key(struct task *task, struct txn *txn, const struct saga_place *place,
    const struct saga_instance *instance, const uint8_t digest[HASH128_SIZE], struct arena *arena,
    uint64_t *other, bool *same, struct diag *diag)
{
    struct buffer key = {0};
    uint8_t value[8 + HASH128_SIZE];
    struct slice row;
    *other = 0;
    store_be64(value, instance->number);
    memcpy(value + 8, digest, HASH128_SIZE);
    saga__key(instance, &key);
    enum err err = saga__insert(task, txn, place, CATALOG_TREE_SAGA_KEYS,
        slice_of(key.data, key.size), slice_of(value, sizeof value), arena, &row, diag);
    buffer_destroy(&key);
    if (err != ERR_UNIQUE) {
        return err;
    }
    if (row.size != sizeof value) {
        return diag_set(diag, ERR_CORRUPT, "the key of a saga is damaged");
    }
    *other = load_be64(row.data);
    *same = memcmp(row.data + 8, digest, HASH128_SIZE) == 0;
    return ERR_OK;
}

/* The key's row. *existing: whose it is already; 0: ours now. */
static enum err
claim_key(
    struct starting *starting, struct txn *txn, const struct saga_place *place, uint64_t *existing)
{
    bool same = true;
    *existing = 0;
    if (starting->instance.key[0] == '\0') {
        return ERR_OK;
    }
    TRY(saga__claim_key(starting->task, txn, place, &starting->instance, starting->digest,
        starting->arena, existing, &same, starting->diag));
    if (*existing != 0 && !same) {
        (void)diag_set(starting->diag, ERR_SAGA_KEY,
            "key \"%s\" belongs to a saga with other parameters", starting->instance.key);
        diag_hint(starting->diag, "A key names one request: use a new one for another.");
        return ERR_SAGA_KEY;
    }
    return ERR_OK;
}

/* Key and instance, or the instance that has the key. */
static enum err
make_at(struct starting *starting, struct txn *txn, const struct saga_place *place, bool *made)
{
    uint64_t existing = 0;
    struct saga_instance *instance = &starting->instance;
    TRY(claim_key(starting, txn, place, &existing));
    *made = existing == 0;
    if (*made) {
        TRY(saga__instance_put(starting->task, txn, place, instance, starting->diag));
        return place == NULL ? ERR_OK
                             : saga__open_put(starting->task, starting->room, txn, place, instance,
                                   starting->diag);
    }
    bool found = false;
    TRY(saga__instance_get(starting->task, txn, place, existing, false, starting->arena, instance,
        &found, starting->diag));
    return found ? ERR_OK
                 : diag_set(starting->diag, ERR_CORRUPT, "saga %llu of a key is missing",
                       (unsigned long long)existing);
}

/* In a cluster a key says the slot; who has none may begin in any that is here. */
static enum err
choose_slot(struct starting *starting, struct txn *txn)
{
    const struct saga_instance *instance = &starting->instance;
    if (instance->key[0] != '\0') {
        starting->slot = saga_slot_of_key(instance->role, instance->key);
        return ERR_OK;
    }
    if (!saga__in_cluster(starting->room->engine)) {
        return ERR_OK;
    }
    TRY(saga__own_slot(
        starting->task, starting->room->engine, txn, &starting->slot, starting->diag));
    starting->slot %= SAGA_SLOTS; /* none: it is refused */
    return ERR_OK;
}

static enum err
make(struct starting *starting, struct txn *txn, bool *made)
{
    struct saga_place *place = NULL;
    TRY(choose_slot(starting, txn));
    TRY(saga__place_home(starting->task, starting->room->engine, txn, starting->slot, false,
        starting->arena, &place, starting->diag));
    enum err err = ERR_OK;
    if (place != NULL && starting->in_block && starting->instance.key[0] != '\0') {
        bool owned = false;
        err = saga__owns_slot(
            starting->task, starting->room->engine, txn, starting->slot, &owned, starting->diag);
        if (err == ERR_OK && !owned) {
            saga__place_end(place);
            starting->noted = *made = true;
            return saga__note_start(starting->task, starting->room, txn, &starting->instance,
                starting->digest, starting->arena, starting->diag);
        }
    }
    /* With a clock before all numbers they begin anew at each start: pass over those in use. */
    for (bool used = place != NULL; used && err == ERR_OK;) {
        struct saga_instance other;
        starting->instance.number = saga__cluster_number(starting->room, starting->slot);
        err = saga__instance_get(starting->task, txn, place, starting->instance.number, false,
            starting->arena, &other, &used, starting->diag);
    }
    err = err == ERR_OK ? make_at(starting, txn, place, made) : err;
    saga__place_end(place);
    return err;
}

/* In a transaction of its own, which has committed when this returns: who waits for a saga cannot
 * hold its beginning back. */
static enum err
make_alone(struct starting *starting)
{
    struct txn *txn = txn_new(sql_engine_db(starting->room->engine), 0);
    bool made = false;
    enum err err = txn_begin(starting->task, txn, TXN_READ_COMMITTED, false, starting->diag);
    if (err == ERR_OK) {
        err = make(starting, txn, &made);
        latch_acquire(&starting->room->latch);
        starting->waiter.number = starting->instance.number;
        latch_release(&starting->room->latch);
    }
    err = saga__end(starting->task, txn, err, starting->diag);
    if (err == ERR_OK && made) {
        saga__committed(starting->room, starting->instance.number);
    }
    return err;
}

/* -5 */
static bool
is_sign(const struct ast_node *node)
{
    return node->kind == AST_OP && ast_as_op(node)->left == NULL &&
           strcmp(ast_as_op(node)->name, "-") == 0;
}

bool
saga_start_repeats(const struct ast_start_saga *statement)
{
    AST_FOREACH(at, statement->args)
    {
        const struct ast_node *value = *at;
        while (value->kind == AST_CAST || is_sign(value)) {
            value = is_sign(value) ? ast_as_op(value)->right : ast_as_cast(value)->operand;
        }
        if (value->kind != AST_CONST && value->kind != AST_PARAM) {
            return false;
        }
    }
    return statement->key != NULL;
}

static enum err
look_at(struct starting *starting, struct txn *txn, bool *found)
{
    struct saga_place *place = NULL;
    uint64_t number = starting->waiter.number;
    if (saga__is_routed(number)) {
        bool owned = false;
        TRY(saga__owns_slot(starting->task, starting->room->engine, txn, saga_slot(number), &owned,
            starting->diag));
        if (!owned && saga_start_repeats(starting->statement)) {
            return diag_set(starting->diag, ERR_WRONG_BUCKET, "saga %llu has moved to another node",
                (unsigned long long)number);
        }
        if (!owned) {
            return diag_set(starting->diag, ERR_OBJECT_STATE,
                "saga %llu has moved to another node while it was waited for: look for it in "
                "tusk_sagas",
                (unsigned long long)number);
        }
        TRY(saga__place_home(starting->task, starting->room->engine, txn, saga_slot(number), true,
            starting->arena, &place, starting->diag));
    }
    enum err err = saga__instance_get(starting->task, txn, place, number, false, starting->arena,
        &starting->instance, found, starting->diag);
    saga__place_end(place);
    return err;
}

static enum err
look_again(struct starting *starting, bool *found)
{
    struct txn *txn = txn_new(sql_engine_db(starting->room->engine), 0);
    enum err err = txn_begin(starting->task, txn, TXN_READ_COMMITTED, true, starting->diag);
    if (err == ERR_OK) {
        err = look_at(starting, txn, found);
    }
    return saga__end(starting->task, txn, err, starting->diag);
}

/* Until it has ended, or is stuck or paused. */
static enum err
wait_for_end(struct starting *starting)
{
    struct saga_waiter *waiter = &starting->waiter;
    struct latch *latch = &starting->room->latch;
    for (;;) {
        latch_acquire(latch);
        waiter->told = false;
        latch_release(latch);
        bool found = false;
        TRY(look_again(starting, &found));
        enum saga_state state = starting->instance.state;
        if (!found || (state != SAGA_RUNNING && state != SAGA_COMPENSATING)) {
            return ERR_OK;
        }
        for (bool told = false; !told;) {
            TRY(task_interrupted(starting->task, starting->diag));
            latch_acquire(latch);
            told = waiter->told;
            latch_release(latch);
            if (!told && !saga__is_routed(waiter->number)) {
                task_park(starting->task, WORLD_NEVER);
            } else if (!told) { /* its bucket may go, and nobody tells */
                task_park(starting->task, world_clock_us(starting->room->world) + LOOK_AGAIN_US);
                told = true;
            }
        }
    }
}

static enum err
start(struct starting *starting, const char *text, bool in_block)
{
    const struct ast_start_saga *statement = starting->statement;
    struct saga_instance *instance = &starting->instance;
    const struct eval_env *env = sql_session_env(starting->session);
    TRY(saga__check_database(starting->session, starting->diag));
    TRY(find_definition(starting));
    TRY(read_arguments(starting, text));
    instance->number = new_number(starting->room);
    instance->started = instance->changed = world_wall_us(starting->room->world);
    instance->deadline = instance->definition.timeout_ms == 0
                             ? 0
                             : instance->started + (int64_t)instance->definition.timeout_ms * 1000;
    instance->sqlstate = instance->error = instance->cause = "";
    instance->database = sql_session_database(starting->session);
    instance->login = env->session_user;
    instance->role = env->user;
    instance->key = statement->key == NULL ? "" : statement->key;
    bool made = false;
    starting->in_block = in_block;
    if (!statement->wait) {
        TRY(make(starting, sql_session_txn(starting->session), &made));
        if (made) {
            sql_session_touch_saga(starting->session,
                starting->noted ? saga__note_entry(instance->number) : instance->number);
        }
        return ERR_OK;
    }
    if (in_block) {
        (void)diag_set(starting->diag, ERR_ACTIVE_TRANSACTION,
            "START SAGA ... WAIT cannot run inside a transaction block");
        diag_hint(starting->diag, "A saga begins when the transaction that starts it commits.");
        return ERR_ACTIVE_TRANSACTION;
    }
    starting->waiter.task = starting->task;
    saga__wait_begin(starting->room, &starting->waiter);
    enum err err = make_alone(starting);
    if (err == ERR_OK) {
        err = wait_for_end(starting);
    }
    saga__wait_end(starting->room, &starting->waiter);
    return err;
}

enum err
saga__start(struct task *task, void *arg, struct sql_session *session,
    const struct ast_start_saga *statement, const char *text, bool in_block, struct arena *arena,
    struct sql_saga_answer *answer, struct diag *diag)
{
    struct starting *starting = arena_alloc(arena, sizeof *starting);
    starting->task = task;
    starting->room = arg;
    starting->session = session;
    starting->statement = statement;
    starting->arena = arena;
    starting->diag = diag;
    TRY(start(starting, text, in_block));
    const struct saga_instance *instance = &starting->instance;
    const char *error = instance->cause[0] != '\0' ? instance->cause : instance->error;
    answer->number = (int64_t)instance->number;
    answer->state = starting->noted ? "starting" : saga__state_name(instance->state);
    answer->error = error[0] == '\0' ? NULL : error;
    return ERR_OK;
}

/* ---- ALTER SAGA INSTANCE -----------------------------------------------------------------------
 */

static enum err
not_now(const struct saga_instance *instance, const char *what, struct diag *diag)
{
    return diag_set(diag, ERR_OBJECT_STATE, "saga %llu is %s: it cannot %s",
        (unsigned long long)instance->number, saga__state_name(instance->state), what);
}

/* Can the step that is next still be taken back? */
static bool
can_compensate(const struct saga_instance *instance)
{
    for (uint32_t i = 0; i < instance->step; i++) {
        if ((instance->definition.steps[i].flags & (SAGA_PIVOT | SAGA_RETRIABLE)) != 0) {
            return false;
        }
    }
    return (instance->definition.steps[instance->step].flags & SAGA_RETRIABLE) == 0 ||
           instance->step == 0;
}

static enum err
skip(struct task *task, struct txn *txn, const struct saga_place *place,
    struct saga_instance *instance, const char *name, struct diag *diag)
{
    const struct saga_step *step = &instance->definition.steps[instance->step];
    if (instance->state != SAGA_STUCK && instance->state != SAGA_PAUSED) {
        return not_now(instance, "skip a step", diag);
    }
    if (strcmp(step->name, name) != 0) {
        return diag_set(diag, ERR_OBJECT_STATE, "saga %llu is at step \"%s\", not \"%s\"",
            (unsigned long long)instance->number, step->name, name);
    }
    if (place != NULL) { /* its record is elsewhere, and must keep a late delivery out */
        instance->skips = true;
        instance->state = instance->compensates ? SAGA_COMPENSATING : SAGA_RUNNING;
        return ERR_OK;
    }
    const struct saga_record record = {
        .outcome = SAGA_SKIPPED, .time = world_wall_us(task_world(task)), .result = ""};
    TRY(saga__record_put(task, txn, NULL, instance->number, instance->step,
        instance->compensates ? SAGA_UNDO : SAGA_DO, &record, diag));
    saga__advance(instance);
    return ERR_OK;
}

static enum err
act(struct task *task, struct txn *txn, const struct saga_place *place,
    struct saga_instance *instance, const struct ast_alter_saga *statement, struct diag *diag)
{
    bool rests = instance->state == SAGA_STUCK || instance->state == SAGA_PAUSED;
    if (saga__is_final(instance->state)) {
        return not_now(instance, "be changed", diag);
    }
    switch (statement->action) {
    case AST_SAGA_RETRY:
    case AST_SAGA_RESUME:
        if (statement->action == AST_SAGA_RESUME && instance->state != SAGA_PAUSED) {
            return not_now(instance, "be resumed", diag);
        }
        instance->state = instance->compensates ? SAGA_COMPENSATING : SAGA_RUNNING;
        break;
    case AST_SAGA_PAUSE:
        if (rests) {
            return not_now(instance, "be paused", diag);
        }
        instance->state = SAGA_PAUSED;
        break;
    case AST_SAGA_COMPENSATE:
        if (instance->compensates || !can_compensate(instance)) {
            return diag_set(diag, ERR_OBJECT_STATE, "saga %llu %s",
                (unsigned long long)instance->number,
                instance->compensates ? "compensates already"
                                      : "has passed its pivot: it can only go forward");
        }
        instance->state = SAGA_COMPENSATING;
        instance->compensates = true;
        instance->cause = "ALTER SAGA INSTANCE .. COMPENSATE";
        break;
    case AST_SAGA_SKIP:
        TRY(skip(task, txn, place, instance, statement->step, diag));
        break;
    }
    instance->attempts = 0;
    instance->due = 0;
    instance->changed = world_wall_us(task_world(task));
    return saga__instance_put(task, txn, place, instance, diag);
}

enum err
saga__alter(struct task *task, void *arg, struct sql_session *session,
    const struct ast_alter_saga *statement, struct diag *diag)
{
    struct saga_room *room = arg;
    struct txn *txn = sql_session_txn(session);
    struct arena arena;
    arena_create(&arena, "saga");
    struct saga_place *place = NULL;
    struct saga_instance instance;
    bool found = false;
    bool may = false;
    uint64_t number = (uint64_t)statement->number;
    enum err err = ERR_OK;
    if (saga__is_routed(number)) {
        err = saga__place_home(
            task, room->engine, txn, saga_slot(number), false, &arena, &place, diag);
    }
    if (err == ERR_OK) {
        err = saga__instance_get(task, txn, place, number, true, &arena, &instance, &found, diag);
    }
    if (err == ERR_OK && !found) {
        err = diag_set(diag, ERR_UNDEFINED_OBJECT, "saga instance %lld does not exist",
            (long long)statement->number);
    }
    if (err == ERR_OK) {
        err = saga__may(task, session, instance.role, &may, diag);
    }
    if (err == ERR_OK && !may) {
        err = diag_set(diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied for saga %llu",
            (unsigned long long)number);
    }
    if (err == ERR_OK) {
        err = act(task, txn, place, &instance, statement, diag);
    }
    if (err == ERR_OK) {
        sql_session_touch_saga(session, number);
    }
    saga__place_end(place);
    arena_destroy(&arena);
    return err;
}
