/*
 * saga/home.c - sagas of a cluster, at the node that has their slot's bucket.
 *
 * Routers deliver the steps, for they know where nodes are; what is due, and what follows from a
 * success or a failure, is decided here. A router asks for an order (tusk_saga_take), has it done
 * where the step's bucket is (tusk_saga_deliver, remote.c), and reports (tusk_saga_report), which
 * answers with the next order of that saga. While an order is out the saga is nobody else's for
 * LEASE_US, kept in memory only: two routers with one order do no harm (S1), and if this node dies
 * the next owner of the slot gives the order again.
 *
 * A slot's sagas become this node's when its bucket does. Then its epoch is raised (S3), and those
 * that have not ended are looked up: once, for whoever has the bucket is the only one to make any.
 */
#include "saga/saga_internal.h"

#include "base/assert.h"
#include "parser/parser.h"
#include "sql/catalog/access.h"
#include "sql/catalog/sharding.h"

enum {
    LEASE_US = 5 * 1000 * 1000,
    SLOTS_PERIOD_US = 500 * 1000,
    FORGET_PERIOD_US = 10 * 1000 * 1000,
    FORGET_BATCH = 100,
    WAIT_MAX_MS = 60 * 1000,
    LOCK_WAIT_US = 20 * 1000,
    LOCKED_PAUSE_US = 200 * 1000,
    STEP_OF_NOTE = UINT16_MAX, /* in orders and reports */
};

#define NUMBERS_EPOCH_US INT64_C(1577836800000000) /* 2020-01-01 */
#define FIRST_US         ((uint64_t)1 << 38)

/* ---- numbers -----------------------------------------------------------------------------------
 *
 * From the hybrid clock, which goes back neither at a restart nor when a bucket moves.
 */

bool
saga__is_routed(uint64_t number)
{
    return number / SAGA_SLOTS >= FIRST_US;
}

uint64_t
saga__cluster_number(struct saga_room *room, uint32_t slot)
{
    int64_t us = (int64_t)(txn_db_hlc(sql_engine_db(room->engine)) >> 12) - NUMBERS_EPOCH_US;
    uint64_t now = FIRST_US + (us < 0 ? 0 : (uint64_t)us);
    latch_acquire(&room->latch);
    room->last_us = now > room->last_us ? now : room->last_us + 1;
    uint64_t number = room->last_us * SAGA_SLOTS + slot;
    latch_release(&room->latch);
    return number;
}

/* ---- what is open ------------------------------------------------------------------------------
 */

static void
lease(struct saga_room *room, uint64_t number, int64_t until)
{
    latch_acquire(&room->latch);
    saga__queue_set(&room->open, number, until);
    latch_release(&room->latch);
}

void
saga__routed_forget(struct saga_room *room, uint64_t number)
{
    latch_acquire(&room->latch);
    saga__queue_remove(&room->open, number);
    latch_release(&room->latch);
}

struct taker {
    struct list_node node;
    struct task *task;
    bool told;
};

void
saga__routed_touch(struct saga_room *room, uint64_t number)
{
    latch_acquire(&room->latch);
    struct saga_due *known = saga__queue_find(&room->open, number);
    if (known != NULL && known->ends) {
        saga__queue_remove(&room->open, number);
    } else {
        saga__queue_set(&room->open, number, 0);
        LIST_FOREACH (node, &room->takers) {
            struct taker *taker = LIST_ENTRY(node, struct taker, node);
            if (!taker->told) {
                taker->told = true;
                task_unpark(taker->task);
                break;
            }
        }
    }
    latch_release(&room->latch);
    saga__tell_waiters(room, number);
}

/* The first that is due; it is the caller's for a while. 0: none, until *until. */
static uint64_t
take_due(struct saga_room *room, int64_t now, int64_t *until)
{
    uint64_t number = 0;
    latch_acquire(&room->latch);
    if (room->open.count > 0 && room->open.heap[0].due <= now) {
        number = room->open.heap[0].number;
        saga__queue_set(&room->open, number, now + LEASE_US);
    } else if (room->open.count > 0) {
        int64_t due = room->open.heap[0].due;
        *until = due < *until ? due : *until;
    }
    latch_release(&room->latch);
    return number;
}

/* ---- slots that come and go --------------------------------------------------------------------
 */

static struct txn_range
range_of(
    const struct saga_place *place, enum catalog_tree tree, struct buffer *low, struct buffer *high)
{
    uint8_t first = (uint8_t)tree;
    uint8_t behind = (uint8_t)(first + 1);
    saga__place_key(place, slice_of(&first, 1), low);
    saga__place_key(place, slice_of(&behind, 1), high);
    return (struct txn_range){.low = slice_of(low->data, low->size),
        .high = slice_of(high->data, high->size),
        .has_low = true,
        .has_high = true,
        .high_exclusive = true};
}

enum err
saga__each_row(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct arena *arena, saga_each *each, void *arg, struct diag *diag)
{
    struct buffer low = {0};
    struct buffer high = {0};
    struct txn_scan *scan = NULL;
    struct txn_range range = range_of(place, tree, &low, &high);
    enum err err = txn_scan_open(task, txn, txn_statement_begin(txn), place->relation->tree, &range,
        false, arena, &scan, diag);
    for (bool enough = false; err == ERR_OK && !enough;) {
        struct txn_row row;
        struct slice id;
        struct slice value;
        bool found = false;
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err != ERR_OK || !found) {
            break;
        }
        err = saga__place_value(place, row.value, &id, &value, diag);
        if (err == ERR_OK && id.size == 9) {
            err = each(arg, load_be64(id.data + 1), value, &enough);
        }
        err = err == ERR_OK ? task_breathe(task, diag) : err;
    }
    if (scan != NULL) {
        txn_scan_close(task, scan);
    }
    buffer_destroy(&low);
    buffer_destroy(&high);
    return err;
}

static enum err
note_open(void *arg, uint64_t number, struct slice value, bool *enough)
{
    struct saga_room *room = arg;
    (void)enough;
    if (value.size >= 3) {
        enum saga_state state = (enum saga_state)value.data[1];
        bool forgets = (value.data[2] & 4) != 0;
        if (state == SAGA_RUNNING || state == SAGA_COMPENSATING || forgets) {
            latch_acquire(&room->latch);
            if (saga__queue_find(&room->open, number) == NULL) {
                saga__queue_set(&room->open, number, 0);
            }
            latch_release(&room->latch);
        }
    }
    return ERR_OK;
}

static enum err
note_note(void *arg, uint64_t number, struct slice value, bool *enough)
{
    struct saga_room *room = arg;
    (void)enough;
    (void)value;
    lease(room, saga__note_entry(number), 0);
    return ERR_OK;
}

/* S3 */
static enum err
adopt_slot(struct task *task, struct saga_room *room, struct txn *txn, uint32_t slot,
    struct arena *arena, struct diag *diag)
{
    struct saga_place *place = NULL;
    struct slice value;
    bool found = false;
    uint8_t key[8];
    uint8_t epoch[8];
    store_be64(key, (uint64_t)slot + 1);
    TRY(saga__place_home(task, room->engine, txn, slot, false, arena, &place, diag));
    if (place == NULL) {
        return diag_set(diag, ERR_WRONG_BUCKET, "there are no sagas here");
    }
    enum err err = saga__get(task, txn, place, CATALOG_TREE_SAGA_EPOCHS, slice_of(key, sizeof key),
        true, arena, &value, &found, diag);
    if (err == ERR_OK) {
        room->epochs[slot] = (found && value.size == 8 ? load_be64(value.data) : 0) + 1;
        store_be64(epoch, room->epochs[slot]);
        err = saga__put(task, txn, place, CATALOG_TREE_SAGA_EPOCHS, slice_of(key, sizeof key),
            slice_of(epoch, sizeof epoch), diag);
    }
    if (err == ERR_OK) {
        err = saga__each_row(
            task, txn, place, CATALOG_TREE_SAGA_INSTANCES, arena, note_open, room, diag);
    }
    if (err == ERR_OK) {
        err = saga__each_note(task, txn, place, arena, note_note, room, diag);
    }
    saga__place_end(place);
    return err;
}

static uint32_t
slot_of_entry(uint64_t entry)
{
    return saga__is_note_entry(entry) ? saga_note_slot(entry) : saga_slot(entry);
}

static void
leave_slots(struct saga_room *room, uint64_t gone)
{
    latch_acquire(&room->latch);
    room->slots &= ~gone;
    struct saga_queue stays = {0};
    for (size_t i = 0; gone != 0 && i < room->open.count; i++) {
        const struct saga_due *due = &room->open.heap[i];
        if ((gone >> slot_of_entry(due->number) & 1) == 0) {
            saga__queue_set(&stays, due->number, due->due);
        }
    }
    if (gone != 0) {
        saga__queue_destroy(&room->open);
        room->open = stays;
    }
    latch_release(&room->latch);
}

static enum err
follow_slots(struct task *task, struct saga_room *room, struct diag *diag)
{
    uint64_t own = 0;
    uint64_t comings[SAGA_SLOTS] = {0};
    struct arena arena;
    struct txn *txn = txn_new(sql_engine_db(room->engine), 0);
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, true, diag);
    if (err == ERR_OK) {
        (void)txn_statement_begin(txn);
        err = saga__own_slots(task, room->engine, txn, &own, comings, diag);
    }
    TRY(saga__end(task, txn, err, diag));
    uint64_t stays = own;
    for (uint32_t slot = 0; slot < SAGA_SLOTS; slot++) { /* it may have been away in between */
        stays &= ~((uint64_t)(comings[slot] != room->comings[slot]) << slot);
    }
    leave_slots(room, room->slots & ~stays);
    for (uint32_t slot = 0; slot < SAGA_SLOTS; slot++) {
        if (((own & ~room->slots) >> slot & 1) == 0) {
            continue;
        }
        arena_create(&arena, "sagas of a slot");
        txn = txn_new(sql_engine_db(room->engine), 0);
        err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
        if (err == ERR_OK) {
            err = adopt_slot(task, room, txn, slot, &arena, diag);
        }
        err = saga__end(task, txn, err, diag);
        arena_destroy(&arena);
        if (err == ERR_OK) {
            latch_acquire(&room->latch);
            room->slots |= (uint64_t)1 << slot;
            room->comings[slot] = comings[slot];
            latch_release(&room->latch);
        } else if (err != ERR_WRONG_BUCKET && err != ERR_BUCKET_MOVING) {
            return err;
        }
    }
    return ERR_OK;
}

/* ---- orders ------------------------------------------------------------------------------------
 */

enum err
saga_order_decode(
    struct arena *arena, struct slice bytes, struct saga_order *order, struct diag *diag)
{
    struct reader reader = {.rest = bytes};
    order->number = load_be64(reader_take(&reader, 8));
    order->step = load_be32(reader_take(&reader, 4));
    order->kind = *reader_take(&reader, 1);
    order->attempt = load_be32(reader_take(&reader, 4));
    order->database = reader_text(&reader, arena);
    order->group = reader_text(&reader, arena);
    order->bucket = load_be32(reader_take(&reader, 4));
    order->sql = reader_text(&reader, arena);
    return reader.bad ? diag_set(diag, ERR_PROTOCOL, "this is no order about a saga") : ERR_OK;
}

void
saga__put_order(struct buffer *to, const struct saga_order *order)
{
    buffer_add_be64(to, order->number);
    buffer_add_be32(to, order->step);
    buffer_add_u8(to, (uint8_t)order->kind);
    buffer_add_be32(to, order->attempt);
    buffer_add_sized(to, order->database);
    buffer_add_sized(to, order->group);
    buffer_add_be32(to, order->bucket);
    buffer_add_sized(to, order->sql);
}

void
saga__put_hex(struct buffer *to, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        const char pair[2] = {digits[bytes.data[i] >> 4], digits[bytes.data[i] & 15]};
        buffer_add(to, pair, sizeof pair);
    }
}

/* Where the step's rows are, as this node knows the tables. */
static enum err
place_of_step(struct task *task, struct saga_room *room, struct txn *txn,
    const struct saga_instance *instance, struct arena *arena, const char **group, uint32_t *bucket,
    struct diag *diag)
{
    const struct saga_step *step = &instance->definition.steps[instance->step];
    struct catalog *catalog = NULL;
    struct buffer key = {0};
    *group = "";
    *bucket = 0;
    TRY(catalog_get(task, sql_engine_catalogs(room->engine), txn, &catalog, diag));
    const struct relation *relation = catalog_relation(catalog, step->schema, step->table);
    enum err err = ERR_OK;
    if (relation != NULL && relation->sharding != NULL &&
        relation->sharding->scheme.kind != SHARD_REPLICATED) {
        struct datum *row = arena_array(arena, relation->column_count, sizeof *row);
        if (step->key_param < 0 || instance->params[step->key_param].null) {
            err = diag_set(diag, ERR_NULL_VALUE, "the key of step \"%s\" is null", step->name);
        } else {
            row[relation->sharding->column] = instance->params[step->key_param];
            err = sharding_bucket(relation, row, &key, bucket, diag);
        }
        *group = arena_strdup(arena, relation->sharding->group);
    }
    buffer_destroy(&key);
    catalog_release(catalog);
    return err;
}

/* What a session of the starter would have, and the definition's path. */
static enum err
put_settings(struct task *task, struct saga_room *room, struct txn *txn,
    const struct saga_instance *instance, struct arena *arena, struct buffer *to, struct diag *diag)
{
    static const char *const others[] = {"search_path", "role", "session_authorization"};
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, sql_engine_catalogs(room->engine), txn, &catalog, diag));
    const struct role *role = catalog_role(catalog, instance->login);
    const struct catalog_setting *setting;
    for (size_t i = 0; role != NULL && (setting = catalog_setting_at(catalog, i)) != NULL; i++) {
        bool other = setting->role != role->oid;
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
            other |= strcmp(setting->name, others[k]) == 0;
        }
        if (!other) {
            buffer_printf(to, "SET LOCAL %s = ", setting->name);
            buffer_add_text(
                to, parser_quote_literal(arena, setting->value, strlen(setting->value)));
            buffer_add_text(to, "; ");
        }
    }
    catalog_release(catalog);
    if (instance->definition.path[0] != '\0') {
        buffer_add_text(to, "SET LOCAL search_path = ");
        buffer_add_text(to, instance->definition.path);
        buffer_add_text(to, "; ");
    }
    return ERR_OK;
}

/* A saga that is to be forgotten: not before its note is, from which it would begin anew (S9). */
static void
make_order_of_note(const struct saga_instance *instance, struct buffer *order)
{
    struct buffer sql = {0};
    saga__noted_sql(instance->number, &sql);
    saga__put_order(order, &(const struct saga_order){.number = instance->number,
                               .step = STEP_OF_NOTE,
                               .database = instance->database,
                               .group = SAGA_LOG_GROUP,
                               .bucket = saga_note_slot(instance->number),
                               .sql = (const char *)sql.data});
    buffer_destroy(&sql);
}

/* As bytes for saga_order_decode. */
static enum err
make_order(struct task *task, struct saga_room *room, struct txn *txn,
    const struct saga_instance *instance, struct arena *arena, struct buffer *order,
    struct diag *diag)
{
    const struct saga_step *step = &instance->definition.steps[instance->step];
    const char *group = "";
    uint32_t bucket = 0;
    TRY(place_of_step(task, room, txn, instance, arena, &group, &bucket, diag));
    const struct saga_delivery delivery = {.home = (uint64_t)saga_slot(instance->number) + 1,
        .number = instance->number,
        .step = instance->step,
        .kind = instance->compensates ? SAGA_UNDO : SAGA_DO,
        .attempt = instance->attempts + 1,
        .epoch = room->epochs[saga_slot(instance->number)],
        .skips = instance->skips,
        .definition = &instance->definition,
        .params = instance->params};
    struct buffer bytes = {0};
    struct buffer sql = {0};
    struct buffer settings = {0};
    enum err err = put_settings(task, room, txn, instance, arena, &settings, diag);
    if (err != ERR_OK) {
        buffer_destroy(&settings);
        return err;
    }
    saga__encode_delivery(&delivery, instance->forgets, world_wall_us(room->world),
        txn_db_hlc(sql_engine_db(room->engine)), &bytes);
    buffer_add_text(&sql, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ");
    if (step->timeout_ms > 0) {
        buffer_printf(&sql, "SET LOCAL statement_timeout = %u; ", step->timeout_ms);
    }
    buffer_add_text(&sql, "SET LOCAL ROLE ");
    buffer_add_text(&sql, parser_quote_ident(arena, instance->role));
    buffer_add_text(&sql, "; ");
    buffer_add(&sql, settings.data, settings.size);
    buffer_destroy(&settings);
    buffer_add_text(&sql, "SELECT tusk_saga_deliver('\\x");
    saga__put_hex(&sql, slice_of(bytes.data, bytes.size));
    buffer_add_text(&sql, "'); COMMIT; SELECT tusk_hlc()");
    buffer_add_u8(&sql, 0);
    saga__put_order(order, &(const struct saga_order){.number = instance->number,
                               .step = instance->step,
                               .kind = (uint32_t)delivery.kind,
                               .attempt = delivery.attempt,
                               .database = instance->database,
                               .group = group,
                               .bucket = bucket,
                               .sql = (const char *)sql.data});
    buffer_destroy(&bytes);
    buffer_destroy(&sql);
    return ERR_OK;
}

/* ---- what is done with an instance -------------------------------------------------------------
 */

struct handling {
    struct task *task;
    struct saga_room *room;
    struct sql_session *session; /* or NULL */
    struct txn *txn;
    struct saga_place *place;
    struct arena *arena;
    struct saga_instance instance;
    struct buffer *order; /* of the next, if there is one at once */
    struct diag *diag;
};

static bool
is_over(const struct saga_instance *instance, int64_t now)
{
    return !instance->compensates && instance->state == SAGA_RUNNING && instance->deadline != 0 &&
           instance->deadline <= now && saga__is_revocable(instance);
}

/* Nothing is to be done. If that is only so when the transaction commits it can still come
 * otherwise.
 */
static void
end_watch(const struct handling *handling)
{
    struct saga_room *room = handling->room;
    uint64_t number = handling->instance.number;
    if (handling->session == NULL) {
        saga__routed_forget(room, number);
        return;
    }
    latch_acquire(&room->latch);
    saga__queue_set(&room->open, number, world_wall_us(room->world) + LEASE_US);
    saga__queue_find(&room->open, number)->ends = true;
    latch_release(&room->latch);
}

/* The instance is as it is going to be: when is it due, and what is to be done if that is now. */
static enum err
go_on(struct handling *handling)
{
    struct saga_room *room = handling->room;
    struct saga_instance *instance = &handling->instance;
    int64_t now = world_wall_us(room->world);
    bool moves = instance->state == SAGA_RUNNING || instance->state == SAGA_COMPENSATING;
    if (!moves && !instance->forgets) {
        end_watch(handling);
        return ERR_OK;
    }
    if (instance->due > now) {
        int64_t due = instance->due;
        /* Of one that has ended nothing is due then: it would be looked at without a pause. */
        if (instance->state == SAGA_RUNNING && !instance->compensates && instance->deadline != 0 &&
            instance->deadline < due && saga__is_revocable(instance)) {
            due = instance->deadline;
        }
        lease(room, instance->number, due);
        return ERR_OK;
    }
    lease(room, instance->number, now + LEASE_US);
    if (instance->forgets && saga__is_noted(instance->number) && !instance->noted) {
        make_order_of_note(instance, handling->order);
        return ERR_OK;
    }
    enum err err = make_order(handling->task, room, handling->txn, instance, handling->arena,
        handling->order, handling->diag);
    if (err == ERR_NULL_VALUE || err == ERR_CHECK) { /* no bucket has such a key: it cannot be */
        struct diag failure = *handling->diag;
        instance->forgets = false;
        saga__judge(room, instance, &failure, handling->arena);
        lease(room, instance->number, instance->due);
        return saga__instance_put(
            handling->task, handling->txn, handling->place, instance, handling->diag);
    }
    return err;
}

static enum err
look(struct handling *handling, uint64_t number)
{
    struct saga_instance *instance = &handling->instance;
    bool found = false;
    TRY(saga__place_home(handling->task, handling->room->engine, handling->txn, saga_slot(number),
        false, handling->arena, &handling->place, handling->diag));
    if (handling->place == NULL) {
        return diag_set(handling->diag, ERR_WRONG_BUCKET, "there are no sagas here");
    }
    TRY(saga__instance_get(handling->task, handling->txn, handling->place, number, true,
        handling->arena, instance, &found, handling->diag));
    if (!found) {
        saga__routed_forget(handling->room, number);
        return ERR_OK;
    }
    int64_t now = world_wall_us(handling->room->world);
    if (is_over(instance, now)) {
        saga__turn_back(
            instance, err_sqlstate(ERR_QUERY_CANCELED), "the saga's time is over", handling->arena);
        instance->changed = now;
        TRY(saga__instance_put(
            handling->task, handling->txn, handling->place, instance, handling->diag));
    }
    return go_on(handling);
}

/* In a transaction of its own. */
static enum err
order_of(struct task *task, struct saga_room *room, uint64_t number, struct arena *arena,
    struct buffer *order, struct diag *diag)
{
    struct handling handling = {
        .task = task, .room = room, .arena = arena, .order = order, .diag = diag};
    handling.txn = txn_new(sql_engine_db(room->engine), 0);
    enum err err = txn_begin(task, handling.txn, TXN_READ_COMMITTED, false, diag);
    /* Who holds the row may take his time; the others' orders do not wait for him. */
    txn_set_lock_timeout(handling.txn, LOCK_WAIT_US);
    if (err == ERR_OK) {
        err = saga__is_note_entry(number)
                  ? saga__note_order(task, room, handling.txn, number, arena, order, diag)
                  : look(&handling, number);
    }
    err = saga__end(task, handling.txn, err, diag);
    saga__place_end(handling.place);
    if (err == ERR_LOCK_NOT_AVAILABLE) {
        lease(room, number, world_wall_us(room->world) + LOCKED_PAUSE_US);
        order->size = 0;
        return ERR_OK;
    }
    if (err == ERR_WRONG_BUCKET || err == ERR_BUCKET_MOVING) {
        order->size = 0; /* it is another's now, or again in a moment */
        return ERR_OK;
    }
    return err;
}

/* ---- old ones ----------------------------------------------------------------------------------
 */

struct ageing {
    struct saga_room *room;
    struct arena *arena;
    int64_t until;
    uint64_t old[FORGET_BATCH];
    size_t count;
    struct diag *diag;
};

static enum err
note_old(void *arg, uint64_t number, struct slice value, bool *enough)
{
    struct ageing *ageing = arg;
    struct saga_instance instance;
    TRY(saga__decode_instance(ageing->arena, number, value, &instance, ageing->diag));
    bool old = saga__is_final(instance.state) && instance.changed <= ageing->until;
    if (old && !instance.forgets) {
        ageing->old[ageing->count++] = number;
    }
    *enough = ageing->count == FORGET_BATCH || instance.started > ageing->until;
    return ERR_OK;
}

static enum err
begin_forgetting(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, struct arena *arena, struct diag *diag)
{
    struct saga_instance instance;
    bool found = false;
    TRY(saga__instance_get(task, txn, place, number, true, arena, &instance, &found, diag));
    if (!found || !saga__is_final(instance.state) || instance.forgets) {
        return ERR_OK;
    }
    instance.forgets = true;
    instance.step = (uint16_t)(instance.definition.step_count - 1);
    instance.attempts = 0;
    instance.due = 0;
    return saga__instance_put(task, txn, place, &instance, diag);
}

static enum err
age_slot(struct task *task, struct saga_room *room, struct txn *txn, uint32_t slot,
    struct ageing *ageing, struct diag *diag)
{
    struct saga_place *place = NULL;
    ageing->count = 0;
    TRY(saga__place_home(task, room->engine, txn, slot, false, ageing->arena, &place, diag));
    enum err err = place == NULL ? ERR_OK
                                 : saga__each_row(task, txn, place, CATALOG_TREE_SAGA_INSTANCES,
                                       ageing->arena, note_old, ageing, diag);
    for (size_t i = 0; err == ERR_OK && i < ageing->count; i++) {
        err = begin_forgetting(task, txn, place, ageing->old[i], ageing->arena, diag);
    }
    saga__place_end(place);
    return err;
}

/* Sagas that ended long ago: first the records of their steps go, where those are. */
static enum err
age(struct task *task, struct saga_room *room, struct diag *diag)
{
    int64_t until =
        world_wall_us(room->world) - sql_engine_setting(room->engine, "tusk.saga_history") * 1000;
    struct arena arena;
    arena_create(&arena, "old sagas");
    struct ageing ageing = {.room = room, .arena = &arena, .until = until, .diag = diag};
    enum err err = ERR_OK;
    for (uint32_t slot = 0; err == ERR_OK && slot < SAGA_SLOTS; slot++) {
        if ((room->slots >> slot & 1) == 0) {
            continue;
        }
        struct txn *txn = txn_new(sql_engine_db(room->engine), 0);
        err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
        if (err == ERR_OK) {
            err = age_slot(task, room, txn, slot, &ageing, diag);
        }
        err = saga__end(task, txn, err, diag);
        for (size_t i = 0; err == ERR_OK && i < ageing.count; i++) {
            lease(room, ageing.old[i], 0);
        }
        err = err == ERR_WRONG_BUCKET || err == ERR_BUCKET_MOVING ? ERR_OK : err;
        arena_reset(&arena);
    }
    arena_destroy(&arena);
    return err;
}

/* All that is left of it at home. */
static enum err
forget(struct handling *handling)
{
    struct saga_instance *instance = &handling->instance;
    struct task *task = handling->task;
    struct txn *txn = handling->txn;
    uint8_t number[8];
    bool found = false;
    for (uint16_t i = 0; i < instance->definition.step_count; i++) {
        TRY(saga__record_remove(
            task, txn, handling->place, instance->number, i, handling->arena, handling->diag));
    }
    if (instance->key[0] != '\0') {
        struct buffer key = {0};
        saga__key(instance, &key);
        enum err err = saga__remove(task, txn, handling->place, CATALOG_TREE_SAGA_KEYS,
            slice_of(key.data, key.size), handling->arena, &found, handling->diag);
        buffer_destroy(&key);
        TRY(err);
    }
    store_be64(number, instance->number);
    TRY(saga__remove(task, txn, handling->place, CATALOG_TREE_SAGA_INSTANCES,
        slice_of(number, sizeof number), handling->arena, &found, handling->diag));
    end_watch(handling);
    sql_session_touch_saga(handling->session, instance->number);
    return ERR_OK;
}

/* ---- reports -----------------------------------------------------------------------------------
 */

struct report {
    uint64_t number;
    uint32_t step, kind, attempt;
    bool fine;
    struct diag failure;
    struct slice record;
};

/* With its NOTIFY, in the session's transaction. */
static enum err
tell_stuck(struct handling *handling)
{
    static const char *const names[] = {"n"};
    static const oid_t types[] = {TYPE_TEXT};
    const struct sql_body_params params = {.names = names, .types = types, .count = 1};
    const struct saga_instance *instance = &handling->instance;
    struct sql_body *body = NULL;
    struct buffer result = {0};
    uint64_t rows = 0;
    char *text = arena_printf(handling->arena, "%llu", (unsigned long long)instance->number);
    const struct datum value = datum_bytes(text, strlen(text));
    world_log(handling->room->world, "saga %s (%s) is stuck at step \"%s\": %s", text,
        instance->definition.name, instance->definition.steps[instance->step].name,
        instance->error);
    TRY(sql_body_new(handling->session, "SELECT pg_notify('tusk_saga_stuck', n)", &params, &body,
        handling->diag));
    enum err err = sql_body_run(
        handling->task, handling->session, body, &value, &rows, &result, 0, handling->diag);
    buffer_destroy(&result);
    sql_body_delete(body);
    return err;
}

static enum err
note_success(struct handling *handling, const struct report *report)
{
    struct saga_instance *instance = &handling->instance;
    struct saga_record record;
    if (instance->forgets && report->step == STEP_OF_NOTE) {
        instance->noted = true;
    } else if (instance->forgets) {
        if (instance->step == 0) {
            return forget(handling);
        }
        instance->step--;
    } else {
        TRY(saga__decode_record(handling->arena, report->record, &record, handling->diag));
        TRY(saga__record_put(handling->task, handling->txn, handling->place, instance->number,
            instance->step, (enum saga_kind)report->kind, &record, handling->diag));
        instance->skips = false;
        saga__advance(instance);
        instance->changed = world_wall_us(handling->room->world);
    }
    return saga__instance_put(
        handling->task, handling->txn, handling->place, instance, handling->diag);
}

static enum err
note_report(struct handling *handling, const struct report *report)
{
    struct saga_instance *instance = &handling->instance;
    bool found = false;
    TRY(saga__place_home(handling->task, handling->room->engine, handling->txn,
        saga_slot(report->number), false, handling->arena, &handling->place, handling->diag));
    if (handling->place == NULL) {
        return diag_set(handling->diag, ERR_WRONG_BUCKET, "there are no sagas here");
    }
    TRY(saga__instance_get(handling->task, handling->txn, handling->place, report->number, true,
        handling->arena, instance, &found, handling->diag));
    bool moves = instance->state == SAGA_RUNNING || instance->state == SAGA_COMPENSATING;
    uint32_t step = instance->forgets && saga__is_noted(instance->number) && !instance->noted
                        ? STEP_OF_NOTE
                        : instance->step;
    bool here = found && (moves || instance->forgets) && step == report->step &&
                (instance->forgets || instance->compensates == (report->kind == SAGA_UNDO)) &&
                (report->fine || instance->attempts + 1 == report->attempt);
    if (!here) {
        return ERR_OK; /* somebody has been faster, or ALTER SAGA INSTANCE has */
    }
    if (report->fine) {
        TRY(note_success(handling, report));
    } else if (instance->forgets) {
        instance->due = world_wall_us(handling->room->world) + LEASE_US;
        TRY(saga__instance_put(
            handling->task, handling->txn, handling->place, instance, handling->diag));
    } else {
        saga__judge(handling->room, instance, &report->failure, handling->arena);
        TRY(saga__instance_put(
            handling->task, handling->txn, handling->place, instance, handling->diag));
        if (instance->state == SAGA_STUCK) {
            TRY(tell_stuck(handling));
        }
    }
    if (report->fine && instance->forgets && report->step == 0) {
        return ERR_OK;
    }
    if (saga__is_final(instance->state) || instance->state == SAGA_STUCK) {
        sql_session_touch_saga(handling->session, instance->number);
    }
    return go_on(handling);
}

/* ---- functions ---------------------------------------------------------------------------------
 */

enum err
saga__check_caller(const struct eval *eval, struct saga_room **room)
{
    *room = saga__room(eval);
    if (*room == NULL) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "there is no session");
    }
    const struct role *role = catalog_role(eval->env->catalog, eval->env->session_user);
    return role != NULL && role->superuser
               ? ERR_OK
               : diag_set(eval->diag, ERR_INSUFFICIENT_PRIVILEGE,
                     "only a superuser can take part in the sagas of a cluster");
}

static enum err
housekeep(struct task *task, struct saga_room *room, struct diag *diag)
{
    int64_t now = world_clock_us(room->world);
    latch_acquire(&room->latch);
    bool looks = !room->looking && (room->looked == 0 || now - room->looked >= SLOTS_PERIOD_US);
    bool forgets = looks && now - room->forgot >= FORGET_PERIOD_US;
    room->looking |= looks;
    latch_release(&room->latch);
    if (!looks) {
        return ERR_OK;
    }
    enum err err = follow_slots(task, room, diag);
    if (err == ERR_OK && forgets) {
        err = age(task, room, diag);
    }
    latch_acquire(&room->latch);
    room->looking = false;
    room->looked = now;
    room->forgot = forgets ? now : room->forgot;
    latch_release(&room->latch);
    return err;
}

static enum err
take(struct eval *eval, struct saga_room *room, int64_t deadline, struct buffer *order)
{
    for (;;) {
        TRY(housekeep(eval->task, room, eval->diag));
        int64_t wall = world_wall_us(room->world);
        int64_t until = wall + SLOTS_PERIOD_US;
        struct taker taker = {.task = eval->task};
        latch_acquire(&room->latch);
        list_push_back(&room->takers, &taker.node);
        latch_release(&room->latch);
        uint64_t number = take_due(room, wall, &until);
        if (number == 0 && world_clock_us(room->world) < deadline) {
            task_park(eval->task, world_clock_us(room->world) + (until - wall));
        }
        latch_acquire(&room->latch);
        list_remove(&taker.node);
        latch_release(&room->latch);
        if (number != 0) {
            struct arena arena;
            arena_create(&arena, "order");
            enum err err = order_of(eval->task, room, number, &arena, order, eval->diag);
            arena_destroy(&arena);
            TRY(err);
        }
        TRY(task_interrupted(eval->task, eval->diag));
        if (order->size > 0 || (number == 0 && world_clock_us(room->world) >= deadline)) {
            return ERR_OK;
        }
    }
}

static void
give(struct eval *eval, struct buffer *order, struct datum *result)
{
    *result = order->size == 0
                  ? datum_null()
                  : datum_bytes(arena_copy(eval->arena, order->data, order->size), order->size);
    buffer_destroy(order);
}

/* (how long to wait for one, in ms): an order, or null */
static enum err
saga_take(struct eval *eval, const struct datum *arguments, int count, struct datum *result)
{
    (void)count;
    struct saga_room *room = NULL;
    TRY(saga__check_caller(eval, &room));
    struct buffer order = {0};
    int64_t wait = arguments[0].i < 0             ? 0
                   : arguments[0].i > WAIT_MAX_MS ? WAIT_MAX_MS
                                                  : arguments[0].i;
    enum err err = take(eval, room, world_clock_us(room->world) + wait * 1000, &order);
    give(eval, &order, result);
    return err;
}

static char *
text_of(struct eval *eval, struct datum datum)
{
    return arena_strndup(eval->arena, (const char *)datum.p, datum.size);
}

/* (number, step, undoing, attempt, SQLSTATE or '', message, what tusk_saga_deliver has said, the
 * clock there behind its commit): the saga's next order, or null */
static enum err
saga_report(struct eval *eval, const struct datum *arguments, int count, struct datum *result)
{
    (void)count;
    const struct catalog *outer = eval->env->catalog; /* planning puts its own there */
    struct report report = {.number = (uint64_t)arguments[0].i,
        .step = (uint32_t)arguments[1].i,
        .kind = arguments[2].i != 0 ? SAGA_UNDO : SAGA_DO,
        .attempt = (uint32_t)arguments[3].i,
        .record = slice_of(arguments[6].p, arguments[6].size)};
    const char *sqlstate = text_of(eval, arguments[4]);
    struct buffer order = {0};
    struct saga_room *room = NULL;
    TRY(saga__check_caller(eval, &room));
    report.fine = sqlstate[0] == '\0';
    /* The end of a saga is behind all it has done, by the stamps (S9). */
    TRY(txn_db_raise_hlc(
        eval->task, sql_engine_db(room->engine), (uint64_t)arguments[7].i, eval->diag));
    if (!report.fine) {
        enum err code = err_of_sqlstate(sqlstate);
        (void)diag_set(&report.failure, code == ERR_OK ? ERR_CONNECTION_FAILURE : code, "%s",
            text_of(eval, arguments[5]));
    }
    struct handling *handling = arena_alloc(eval->arena, sizeof *handling);
    handling->task = eval->task;
    handling->room = room;
    handling->session = eval->env->session;
    handling->txn = sql_session_txn(eval->env->session);
    handling->arena = eval->arena;
    handling->order = &order;
    handling->diag = eval->diag;
    enum err err = note_report(handling, &report);
    saga__place_end(handling->place);
    eval->env->catalog = outer;
    give(eval, &order, result);
    return err;
}

static const struct function functions[] = {
    {"tusk_saga_take", 0, TYPE_BYTEA, 1, 1, FUNCTION_STRICT | FUNCTION_VOLATILE, {TYPE_INT4},
        saga_take, NULL, NULL},
    {"tusk_saga_report", 0, TYPE_BYTEA, 8, 8, FUNCTION_STRICT | FUNCTION_VOLATILE,
        {TYPE_INT8, TYPE_INT4, TYPE_BOOL, TYPE_INT4, TYPE_TEXT, TYPE_TEXT, TYPE_BYTEA, TYPE_INT8},
        saga_report, NULL, NULL},
};

void
saga__register_home(void)
{
    static bool done;
    if (!done) {
        done = true;
        function_register(functions, sizeof functions / sizeof functions[0]);
    }
}
