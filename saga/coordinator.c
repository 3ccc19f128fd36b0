/*
 * saga/coordinator.c - tasks that carry sagas through.
 *
 * What has something to do stands in a heap by time; a worker takes the first, and nobody else has
 * that instance until he is done with it. The truth is the instance's row: a worker locks it in the
 * transaction of each step, so ALTER SAGA INSTANCE and he come one after the other. After a crash
 * the heap is made of the rows again.
 */
#include "base/assert.h"
#include "parser/parser.h"
#include "saga/saga_internal.h"

enum {
    STOP_POLL_US = 1000,
    INTERRUPTED_PAUSE_US = 100 * 1000,
    LOOK_PERIOD_US = 5 * 1000 * 1000,
    ABSENCE_BACKOFFS = 4,
};

/* ---- what is due --------------------------------------------------------------------------------
 */

/* Not later than it is already. */
static void
push(struct saga_room *room, uint64_t number, int64_t due)
{
    const struct saga_due *known = saga__queue_find(&room->queue, number);
    if (known == NULL || due < known->due) {
        saga__queue_set(&room->queue, number, due);
    }
}

static void
wake_workers(struct saga_room *room)
{
    for (uint32_t i = 0; i < room->worker_count; i++) {
        if (room->workers[i].task != NULL && room->running[i] == 0) {
            task_unpark(room->workers[i].task);
        }
    }
}

void
saga__enqueue(struct saga_room *room, uint64_t number, int64_t due)
{
    latch_acquire(&room->latch);
    bool runs = false;
    for (uint32_t i = 0; i < room->worker_count; i++) {
        if (room->running[i] == number) {
            room->again[i] = true;
            runs = true;
        }
    }
    if (!runs) {
        push(room, number, due);
        wake_workers(room);
    }
    latch_release(&room->latch);
}

void
saga__committed(void *arg, uint64_t number)
{
    if (saga__is_routed(number)) {
        saga__routed_touch(arg, number);
    } else {
        saga__enqueue(arg, number, 0);
    }
}

/* ---- who waits for one -------------------------------------------------------------------------
 */

void
saga__wait_begin(struct saga_room *room, struct saga_waiter *waiter)
{
    latch_acquire(&room->latch);
    list_push_back(&room->waiters, &waiter->node);
    latch_release(&room->latch);
}

void
saga__wait_end(struct saga_room *room, struct saga_waiter *waiter)
{
    latch_acquire(&room->latch);
    list_remove(&waiter->node);
    latch_release(&room->latch);
}

void
saga__tell_waiters(struct saga_room *room, uint64_t number)
{
    latch_acquire(&room->latch);
    LIST_FOREACH (node, &room->waiters) {
        struct saga_waiter *waiter = LIST_ENTRY(node, struct saga_waiter, node);
        if (waiter->number == number) {
            waiter->told = true;
            task_unpark(waiter->task);
        }
    }
    latch_release(&room->latch);
}

/* ---- a worker's session ------------------------------------------------------------------------
 */

static void
close_session(struct task *task, struct saga_worker *worker)
{
    if (worker->session != NULL) {
        sql_session_delete(task, worker->session);
        worker->session = NULL;
    }
    mem_free(worker->database);
    mem_free(worker->login);
    mem_free(worker->role);
    mem_free(worker->path);
    worker->database = worker->login = worker->role = worker->path = NULL;
}

static enum err
query(struct task *task, struct sql_session *session, const char *text, struct diag *diag)
{
    return sql_session_query(task, session, text, strlen(text), diag);
}

/* The path of the definition. */
static enum err
set_path(struct task *task, struct saga_worker *worker, const char *path, struct diag *diag)
{
    if (strcmp(worker->path == NULL ? "" : worker->path, path) == 0) {
        return ERR_OK;
    }
    struct buffer text = {0};
    buffer_add_text(&text, path[0] == '\0' ? "RESET search_path" : "SET search_path = ");
    buffer_add(&text, path, strlen(path) + 1);
    enum err err = query(task, worker->session, (const char *)text.data, diag);
    buffer_destroy(&text);
    mem_free(worker->path);
    worker->path = err == ERR_OK ? mem_strdup(path) : NULL;
    return err;
}

/* As whoever started the saga. */
static enum err
open_session(struct task *task, struct saga_worker *worker, const struct saga_instance *instance,
    struct diag *diag)
{
    if (worker->session != NULL && !sql_session_is_stale(worker->session) &&
        strcmp(worker->database, instance->database) == 0 &&
        strcmp(worker->login, instance->login) == 0 && strcmp(worker->role, instance->role) == 0) {
        return set_path(task, worker, instance->definition.path, diag);
    }
    close_session(task, worker);
    static const char *const settings[] = {"application_name", "saga", NULL};
    const struct sql_session_options options = {.user = instance->login,
        .database = instance->database,
        .settings = settings,
        .servant = true,
        .secret = (uint32_t)world_random(worker->room->world)};
    worker->database = mem_strdup(instance->database);
    worker->login = mem_strdup(instance->login);
    worker->role = mem_strdup(instance->role);
    enum err err = sql_session_new(
        task, worker->room->engine, &options, &sql_silent_sink, &worker->session, diag);
    if (err == ERR_OK && strcmp(instance->login, instance->role) != 0) {
        struct arena arena;
        arena_create(&arena, "role");
        err = query(task, worker->session,
            arena_printf(&arena, "SET ROLE %s", parser_quote_ident(&arena, instance->role)), diag);
        arena_destroy(&arena);
    }
    err = err == ERR_OK ? set_path(task, worker, instance->definition.path, diag) : err;
    if (err != ERR_OK) {
        close_session(task, worker);
    }
    return err;
}

/* ---- one step ----------------------------------------------------------------------------------
 */

void
saga__advance(struct saga_instance *instance)
{
    instance->attempts = 0;
    instance->due = 0;
    instance->sqlstate = instance->error = "";
    if (instance->compensates) {
        instance->state = instance->step == 0 ? SAGA_COMPENSATED : SAGA_COMPENSATING;
        instance->step = (uint16_t)(instance->step - (instance->step > 0));
        return;
    }
    bool last = instance->step + 1U == instance->definition.step_count;
    instance->state = last ? SAGA_COMPLETED : SAGA_RUNNING;
    instance->step = (uint16_t)(instance->step + !last);
}

/* From the step that failed backwards: that one gets a tombstone. */
void
saga__turn_back(
    struct saga_instance *instance, const char *sqlstate, const char *why, struct arena *arena)
{
    instance->state = SAGA_COMPENSATING;
    instance->compensates = true;
    instance->attempts = 0;
    instance->due = 0;
    instance->cause = arena_printf(arena, "%s: %s", sqlstate, why);
}

bool
saga__is_revocable(const struct saga_instance *instance)
{
    const struct saga_definition *definition = &instance->definition;
    for (uint32_t i = 0; i <= instance->step; i++) {
        bool pivot = (definition->steps[i].flags & SAGA_PIVOT) != 0 && i < instance->step;
        if (pivot || (definition->steps[i].flags & SAGA_RETRIABLE) != 0) {
            return false;
        }
    }
    return true;
}

/* Has the row changed since the worker read it? */
static bool
same_place(const struct saga_instance *a, const struct saga_instance *b)
{
    return a->state == b->state && a->step == b->step && a->compensates == b->compensates &&
           a->attempts == b->attempts;
}

/* For settled reads: what this transaction has written is a saga's, or the saga is over. */
static void
note_saga(struct saga_room *room, struct txn *txn, const struct saga_delivery *delivery, bool ends)
{
    uint8_t id[SAGA_ID_SIZE];
    saga__id(0, delivery->number, id);
    txn_set_saga(txn, id, (uint32_t)delivery->step * 2 + (uint32_t)delivery->kind, ends);
    if (!ends) {
        txn_saga_begins(sql_engine_db(room->engine), delivery->number);
    }
}

/* In the session's open transaction: the step with its record, and the instance one further. *gone:
 * it is not there any more, where it was. */
static enum err
perform(struct task *task, struct saga_worker *worker, const struct saga_instance *instance,
    struct arena *arena, bool *gone, struct diag *diag)
{
    struct txn *txn = sql_session_txn(worker->session);
    struct saga_instance now;
    bool found = false;
    TRY(saga__instance_get(task, txn, NULL, instance->number, true, arena, &now, &found, diag));
    *gone = !found || !same_place(&now, instance);
    if (*gone) {
        return ERR_OK;
    }
    const struct saga_delivery delivery = {.number = now.number,
        .step = now.step,
        .kind = now.compensates ? SAGA_UNDO : SAGA_DO,
        .attempt = now.attempts + 1,
        .epoch = worker->room->epoch,
        .definition = &now.definition,
        .params = now.params};
    struct saga_record record;
    TRY(saga__deliver(task, worker->session, &delivery, arena, &record, diag));
    saga__advance(&now);
    note_saga(worker->room, txn, &delivery, saga__is_final(now.state));
    now.changed = world_wall_us(worker->room->world);
    return saga__instance_put(task, txn, NULL, &now, diag);
}

static enum err
try_step(struct task *task, struct saga_worker *worker, const struct saga_instance *instance,
    struct arena *arena, struct diag *diag)
{
    const struct saga_step *step = &instance->definition.steps[instance->step];
    TRY(open_session(task, worker, instance, diag));
    TRY(query(task, worker->session, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", diag));
    if (step->timeout_ms > 0) {
        task_set_deadline(
            task, world_clock_us(worker->room->world) + (int64_t)step->timeout_ms * 1000);
    }
    bool gone = false;
    enum err err = perform(task, worker, instance, arena, &gone, diag);
    if (step->timeout_ms > 0) {
        task_set_deadline(task, WORLD_NEVER);
        task_interrupt_clear(task, TASK_TIMEOUT);
    }
    if (err == ERR_OK && !gone) {
        return query(task, worker->session, "COMMIT", diag);
    }
    struct diag ignored;
    (void)query(task, worker->session, "ROLLBACK", &ignored);
    return err;
}

enum err
saga__end(struct task *task, struct txn *txn, enum err err, struct diag *diag)
{
    if (txn_state(txn) == TXN_ACTIVE) {
        if (err == ERR_OK) {
            err = txn_commit(task, txn, diag);
        } else {
            txn_settle(task, txn);
            txn_rollback(task, txn);
        }
    }
    txn_delete(task, txn);
    return err;
}

/* ---- when it fails -----------------------------------------------------------------------------
 */

/* May the same succeed later? */
static bool
is_transient(const char *sqlstate)
{
    static const char *const classes[] = {"40", "53", "55", "57", "58", "08", "72", "XX"};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (memcmp(sqlstate, classes[i], 2) == 0) {
            return true;
        }
    }
    return false;
}

/* A node is away, or a bucket on its way: that says nothing of the step, and passes. */
static bool
is_absence(enum err err)
{
    return err == ERR_SHARD_UNREACHABLE || err == ERR_SHARD_LOST || err == ERR_WRONG_BUCKET ||
           err == ERR_BUCKET_MOVING || err == ERR_SAGA_EPOCH || err == ERR_CONNECTION_FAILURE ||
           err == ERR_ADMIN_SHUTDOWN || err == ERR_CANNOT_CONNECT_NOW ||
           err == ERR_TOO_MANY_CONNECTIONS;
}

/* Doubled with each attempt, and up to a half less, so that many do not come at once. */
static int64_t
backoff_us(struct saga_room *room, const struct saga_step *step, uint32_t attempts)
{
    uint64_t ms = step->backoff_ms;
    for (uint32_t i = 1; i < attempts && ms < step->backoff_max_ms; i++) {
        ms *= 2;
    }
    ms = ms > step->backoff_max_ms ? step->backoff_max_ms : ms;
    uint64_t us = ms * 1000;
    return (int64_t)(us - world_random(room->world) % (us / 2 + 1));
}

void
saga__judge(struct saga_room *room, struct saga_instance *instance, const struct diag *failure,
    struct arena *arena)
{
    const struct saga_step *step = &instance->definition.steps[instance->step];
    const char *sqlstate = err_sqlstate(failure->code);
    bool again = instance->attempts + 1 < step->retry_max;
    bool transient = is_transient(sqlstate);
    int64_t now = world_wall_us(room->world);
    if (failure->code == ERR_SAGA_TOMBSTONE && instance->compensates) { /* S11 */
        instance->state = SAGA_RUNNING;
        instance->compensates = false;
        instance->attempts = 0;
        instance->due = instance->deadline = 0;
        instance->changed = now;
        instance->sqlstate = instance->error = instance->cause = "";
        return;
    }
    if (saga__is_routed(instance->number) && is_absence(failure->code)) {
        instance->due = now + backoff_us(room, step, ABSENCE_BACKOFFS);
        instance->changed = now;
        instance->sqlstate = sqlstate;
        instance->error = arena_strdup(arena, failure->message);
        return;
    }
    instance->skips = false;
    instance->attempts++;
    instance->changed = now;
    instance->sqlstate = sqlstate;
    instance->error = arena_strdup(arena, failure->message);
    if (!instance->compensates && saga__is_revocable(instance)) {
        if (transient && again) {
            instance->due = now + backoff_us(room, step, instance->attempts);
        } else {
            saga__turn_back(instance, sqlstate, failure->message, arena);
        }
        return;
    }
    if (again && failure->code != ERR_SAGA_CHANGED) {
        instance->due = now + backoff_us(room, step, instance->attempts);
    } else {
        instance->state = SAGA_STUCK;
    }
}

/* In a transaction of its own: the failure, and what follows from it. */
static enum err
note_failure(struct task *task, struct saga_worker *worker, const struct saga_instance *instance,
    const struct diag *failure, struct arena *arena, struct diag *diag)
{
    struct saga_instance now;
    bool found = false;
    TRY(query(task, worker->session, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", diag));
    struct txn *txn = sql_session_txn(worker->session);
    enum err err =
        saga__instance_get(task, txn, NULL, instance->number, true, arena, &now, &found, diag);
    if (err == ERR_OK && found && same_place(&now, instance)) {
        saga__judge(worker->room, &now, failure, arena);
        err = saga__instance_put(task, txn, NULL, &now, diag);
        if (err == ERR_OK && now.state == SAGA_STUCK) {
            world_log(worker->room->world, "saga %llu (%s) is stuck at step \"%s\": %s",
                (unsigned long long)now.number, now.definition.name,
                now.definition.steps[now.step].name, failure->message);
            err = query(task, worker->session,
                arena_printf(
                    arena, "NOTIFY tusk_saga_stuck, '%llu'", (unsigned long long)now.number),
                diag);
        }
    }
    if (err == ERR_OK) {
        return query(task, worker->session, "COMMIT", diag);
    }
    struct diag ignored;
    (void)query(task, worker->session, "ROLLBACK", &ignored);
    return err;
}

/* The role is gone or may not log in, the database is gone: nobody can run it. */
static enum err
note_no_session(struct task *task, struct saga_worker *worker, const struct saga_instance *instance,
    const struct diag *failure, struct arena *arena, struct diag *diag)
{
    struct saga_instance now;
    bool found = false;
    struct txn *txn = txn_new(sql_engine_db(worker->room->engine), 0);
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
    if (err == ERR_OK) {
        err =
            saga__instance_get(task, txn, NULL, instance->number, true, arena, &now, &found, diag);
        if (err == ERR_OK && found && same_place(&now, instance)) {
            now.state = SAGA_STUCK;
            now.sqlstate = err_sqlstate(failure->code);
            now.error = arena_strdup(arena, failure->message);
            err = saga__instance_put(task, txn, NULL, &now, diag);
            world_log(worker->room->world, "saga %llu is stuck: %s",
                (unsigned long long)instance->number, failure->message);
        }
    }
    return saga__end(task, txn, err, diag);
}

/* ---- a saga, as far as it goes -----------------------------------------------------------------
 */

static enum err
read_instance(struct task *task, struct saga_room *room, uint64_t number, struct arena *arena,
    struct saga_instance *instance, bool *found, struct diag *diag)
{
    struct txn *txn = txn_new(sql_engine_db(room->engine), 0);
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, true, diag);
    if (err == ERR_OK) {
        err = saga__instance_get(task, txn, NULL, number, false, arena, instance, found, diag);
        txn_rollback(task, txn);
    }
    txn_delete(task, txn);
    return err;
}

/* Time is up before the pivot. In its own transaction, seen at the next look. */
static enum err
give_up(struct task *task, struct saga_worker *worker, const struct saga_instance *instance,
    struct arena *arena, struct diag *diag)
{
    struct saga_instance now;
    bool found = false;
    struct txn *txn = txn_new(sql_engine_db(worker->room->engine), 0);
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
    if (err == ERR_OK) {
        err =
            saga__instance_get(task, txn, NULL, instance->number, true, arena, &now, &found, diag);
        if (err == ERR_OK && found && same_place(&now, instance)) {
            saga__turn_back(
                &now, err_sqlstate(ERR_QUERY_CANCELED), "the saga's time is over", arena);
            now.changed = world_wall_us(worker->room->world);
            err = saga__instance_put(task, txn, NULL, &now, diag);
        }
    }
    return saga__end(task, txn, err, diag);
}

/* One look at it. *on: there is more to do at once. */
static enum err
drive_once(struct task *task, struct saga_worker *worker, uint64_t number, struct arena *arena,
    bool *on, int64_t *due, struct diag *diag)
{
    struct saga_instance instance;
    bool found = false;
    *on = false;
    *due = 0;
    TRY(read_instance(task, worker->room, number, arena, &instance, &found, diag));
    if (!found || saga__is_final(instance.state)) {
        txn_saga_ended(sql_engine_db(worker->room->engine), number); /* SKIP STEP ended it */
    }
    if (!found || (instance.state != SAGA_RUNNING && instance.state != SAGA_COMPENSATING)) {
        saga__tell_waiters(worker->room, number);
        return ERR_OK;
    }
    int64_t now = world_wall_us(worker->room->world);
    *on = true;
    if (!instance.compensates && instance.deadline != 0 && instance.deadline <= now &&
        saga__is_revocable(&instance)) {
        return give_up(task, worker, &instance, arena, diag);
    }
    if (instance.due > now) {
        *on = false;
        *due = instance.due;
        if (!instance.compensates && instance.deadline != 0 && instance.deadline < *due &&
            saga__is_revocable(&instance)) {
            *due = instance.deadline;
        }
        return ERR_OK;
    }
    enum err err = try_step(task, worker, &instance, arena, diag);
    if (err == ERR_OK || err == ERR_ADMIN_SHUTDOWN) {
        return err;
    }
    struct diag failure = *diag;
    return (worker->session == NULL ? note_no_session : note_failure)(
        task, worker, &instance, &failure, arena, diag);
}

static bool
is_stopping(struct saga_room *room)
{
    latch_acquire(&room->latch);
    bool stopping = room->stopping;
    latch_release(&room->latch);
    return stopping;
}

/* Until it rests. Due is when to look again; 0: not before somebody says so. */
static int64_t
drive(struct task *task, struct saga_worker *worker, uint64_t number)
{
    struct arena arena;
    arena_create(&arena, "saga");
    struct diag *diag = mem_zalloc(sizeof *diag);
    int64_t due = 0;
    for (bool on = true; on && !is_stopping(worker->room);) {
        enum err err = drive_once(task, worker, number, &arena, &on, &due, diag);
        arena_reset(&arena);
        if (err != ERR_OK) { /* a cancel, a full disk: nothing has changed */
            task_interrupt_clear(task, TASK_TERMINATE);
            task_interrupt_clear(task, TASK_CANCEL);
            if (err != ERR_ADMIN_SHUTDOWN && err != ERR_QUERY_CANCELED) {
                world_log(worker->room->world, "saga %llu: %s", (unsigned long long)number,
                    diag->message);
            }
            on = false;
            due = world_wall_us(worker->room->world) + INTERRUPTED_PAUSE_US;
        }
    }
    mem_free(diag);
    arena_destroy(&arena);
    return due;
}

/* ---- the tasks ---------------------------------------------------------------------------------
 */

/* The first that is due and that nobody has. False: *until is when to look again. */
static bool
take(struct saga_room *room, uint32_t index, int64_t *until)
{
    bool taken = false;
    latch_acquire(&room->latch);
    room->running[index] = 0;
    int64_t now = world_wall_us(room->world);
    *until = WORLD_NEVER;
    while (!taken && room->queue.count > 0 && room->queue.heap[0].due <= now) {
        struct saga_due first = room->queue.heap[0];
        saga__queue_remove(&room->queue, first.number);
        bool runs = false;
        for (uint32_t i = 0; i < room->worker_count; i++) {
            if (room->running[i] == first.number) {
                room->again[i] = true;
                runs = true;
            }
        }
        if (!runs) {
            room->running[index] = first.number;
            room->again[index] = false;
            taken = true;
        }
    }
    if (!taken && room->queue.count > 0) {
        *until = world_clock_us(room->world) + (room->queue.heap[0].due - now);
    }
    latch_release(&room->latch);
    return taken;
}

static void
give_back(struct saga_room *room, uint32_t index, int64_t due)
{
    latch_acquire(&room->latch);
    if (room->again[index] || due != 0) {
        push(room, room->running[index], room->again[index] ? 0 : due);
    }
    room->running[index] = 0;
    room->again[index] = false;
    wake_workers(room);
    latch_release(&room->latch);
}

/* The first worker's, when there is nothing else to do: old sagas go. Until when it may sleep. */
static int64_t
housekeep(struct task *task, struct saga_room *room, int64_t *looked, int64_t until)
{
    int64_t now = world_clock_us(room->world);
    if (now - *looked >= LOOK_PERIOD_US) {
        struct diag diag;
        enum err err = saga__expire(task, room, &diag);
        if (err != ERR_OK && err != ERR_ADMIN_SHUTDOWN && err != ERR_QUERY_CANCELED) {
            world_log(room->world, "old sagas were not removed: %s", diag.message);
        }
        *looked = now;
    }
    return until < *looked + LOOK_PERIOD_US ? until : *looked + LOOK_PERIOD_US;
}

static void
worker_main(struct task *task, void *arg)
{
    struct saga_worker *worker = arg;
    struct saga_room *room = worker->room;
    uint32_t index = (uint32_t)(worker - room->workers);
    latch_acquire(&room->latch);
    worker->task = task;
    latch_release(&room->latch);
    int64_t looked = 0;
    while (!is_stopping(room)) {
        int64_t until = WORLD_NEVER;
        if (take(room, index, &until)) {
            give_back(room, index, drive(task, worker, room->running[index]));
            continue;
        }
        if (index == 0) {
            until = housekeep(task, room, &looked, until);
        }
        task_park(task, until);
        task_interrupt_clear(task, TASK_TERMINATE);
        task_interrupt_clear(task, TASK_CANCEL);
    }
    task_interrupt_clear(task, TASK_TERMINATE);
    close_session(task, worker);
    latch_acquire(&room->latch);
    worker->task = NULL;
    room->workers_alive--;
    latch_release(&room->latch);
}

/* ---- beginning and end -------------------------------------------------------------------------
 */

/* S3. The next epoch, from which on the steps of the one before are refused. */
static enum err
begin_epoch(struct task *task, struct saga_room *room, struct txn *txn, struct arena *arena,
    struct diag *diag)
{
    static const uint8_t home[8];
    struct slice value;
    bool found = false;
    TRY(saga__get(task, txn, NULL, CATALOG_TREE_SAGA_EPOCHS, slice_of(home, sizeof home), true,
        arena, &value, &found, diag));
    bool good = found && value.size == 16;
    room->epoch = (good ? load_be64(value.data) : 0) + 1;
    room->next_number = good ? load_be64(value.data + 8) : 1;
    return ERR_OK;
}

enum err
saga__keep_number(struct task *task, struct saga_room *room, struct txn *txn, struct diag *diag)
{
    static const uint8_t home[8];
    uint8_t value[16];
    latch_acquire(&room->latch);
    store_be64(value, room->epoch);
    store_be64(value + 8, room->next_number);
    latch_release(&room->latch);
    return saga__put(task, txn, NULL, CATALOG_TREE_SAGA_EPOCHS, slice_of(home, sizeof home),
        slice_of(value, sizeof value), diag);
}

/* All instances: those that have not ended are due. */
static enum err
find_open(struct task *task, struct saga_room *room, struct txn *txn, struct arena *arena,
    struct diag *diag)
{
    struct txn_scan *scan = NULL;
    const struct txn_range all = {0};
    TRY(txn_scan_open(task, txn, txn_statement_begin(txn), saga__tree(CATALOG_TREE_SAGA_INSTANCES),
        &all, false, arena, &scan, diag));
    enum err err = ERR_OK;
    for (;;) {
        struct txn_row row;
        bool found = false;
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err != ERR_OK || !found) {
            break;
        }
        if (row.key.size != 8 || row.value.size < 5) {
            continue;
        }
        uint64_t number = load_be64(row.key.data);
        room->next_number = number >= room->next_number ? number + 1 : room->next_number;
        enum saga_state state = (enum saga_state)row.value.data[1];
        if (!saga__is_final(state) &&
            ((row.value.data[2] & 1) != 0 || load_be16(row.value.data + 3) > 0)) {
            txn_saga_was_open(sql_engine_db(room->engine), number);
        }
        if (state == SAGA_RUNNING || state == SAGA_COMPENSATING) {
            push(room, number, 0);
        }
    }
    txn_scan_close(task, scan);
    return err;
}

static enum err
go_on(struct task *task, struct saga_room *room, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "sagas");
    struct txn *txn = txn_new(sql_engine_db(room->engine), 0);
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
    if (err == ERR_OK) {
        err = begin_epoch(task, room, txn, &arena, diag);
        err = err == ERR_OK ? find_open(task, room, txn, &arena, diag) : err;
        err = err == ERR_OK ? saga__keep_number(task, room, txn, diag) : err;
    }
    err = saga__end(task, txn, err, diag);
    arena_destroy(&arena);
    return err;
}

enum err
saga_open(
    struct task *task, struct sql_engine *engine, struct saga_room **room_out, struct diag *diag)
{
    struct saga_room *room = mem_zalloc(sizeof *room);
    room->engine = engine;
    room->world = task_world(task);
    list_init(&room->waiters);
    list_init(&room->takers);
    room->hooks = (struct sql_saga_hooks){.arg = room,
        .create = saga__create,
        .drop = saga__drop,
        .start = saga__start,
        .alter = saga__alter,
        .database_goes = saga__database_goes,
        .check_open = saga__check_open,
        .committed = saga__committed};
    enum err err = go_on(task, room, diag);
    if (err == ERR_OK) {
        saga__register_views(room);
        saga__register_functions();
        saga__register_home();
        saga__register_notes();
        saga__register_settled();
        sql_engine_set_saga_hooks(engine, &room->hooks);
        room->worker_count = (uint32_t)sql_engine_setting(engine, "tusk.saga_workers");
    }
    for (uint32_t i = 0; err == ERR_OK && i < room->worker_count; i++) {
        room->workers[i].room = room;
        room->workers_alive++;
        err =
            task_spawn(room->world, WORLD_ANY_WORKER, "saga", worker_main, &room->workers[i], diag);
        room->workers_alive -= err != ERR_OK;
    }
    if (err != ERR_OK) {
        saga_close(task, room);
        return err;
    }
    *room_out = room;
    return ERR_OK;
}

void
saga_close(struct task *task, struct saga_room *room)
{
    latch_acquire(&room->latch);
    room->stopping = true;
    latch_release(&room->latch);
    for (bool alive = true; alive;) {
        latch_acquire(&room->latch);
        alive = room->workers_alive > 0;
        for (uint32_t i = 0; i < room->worker_count; i++) {
            if (room->workers[i].task != NULL) {
                task_interrupt(room->workers[i].task, TASK_TERMINATE);
            }
        }
        latch_release(&room->latch);
        if (alive) {
            task_park(task, world_clock_us(room->world) + STOP_POLL_US);
        }
    }
    sql_engine_set_saga_hooks(room->engine, NULL);
    saga__queue_destroy(&room->queue);
    saga__queue_destroy(&room->open);
    mem_free(room);
}
