/* saga/store.c - rows of the sagas' trees; their form. */
#include "saga/saga_internal.h"

#include "base/assert.h"

enum {
    RECORD_VERSION = 1,
    DEFINITION_VERSION = 3, /* 1 had no key_param, 2 neither path nor names of types */
    PAUSE_US = 200,
};

const char *
saga__state_name(enum saga_state state)
{
    static const char *const names[] = {
        "running", "compensating", "stuck", "paused", "completed", "compensated"};
    return names[state];
}

bool
saga__is_final(enum saga_state state)
{
    return state == SAGA_COMPLETED || state == SAGA_COMPENSATED;
}

void
saga__id(uint64_t home, uint64_t number, uint8_t id[SAGA_ID_SIZE])
{
    store_be64(id, home);
    store_be64(id + 8, number);
}

/* ---- rows --------------------------------------------------------------------------------------
 */

/* What is committed becomes visible when others of this worker have run. */
enum err
saga__pause(struct task *task, struct diag *diag)
{
    task_sleep(task, PAUSE_US);
    return task_interrupted(task, diag);
}

/* What stands in the tree. */
struct stored {
    tree_id_t tree;
    struct buffer key, id;
};

static void
name(
    const struct saga_place *place, enum catalog_tree tree, struct slice key, struct stored *stored)
{
    *stored = (struct stored){.tree = saga__tree(tree)};
    if (place == NULL) {
        buffer_add(&stored->key, key.data, key.size);
        return;
    }
    stored->tree = place->relation->tree;
    buffer_add_u8(&stored->id, (uint8_t)tree);
    buffer_add(&stored->id, key.data, key.size);
    saga__place_key(place, slice_of(stored->id.data, stored->id.size), &stored->key);
}

static enum err
stored_begin(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct slice key, struct stored *stored, struct diag *diag)
{
    name(place, tree, key, stored);
    struct slice id = slice_of(stored->id.data, stored->id.size);
    return place == NULL || txn_read_only(txn) ? ERR_OK
                                               : saga__place_check(task, txn, place, id, diag);
}

static void
stored_end(struct stored *stored)
{
    buffer_destroy(&stored->key);
    buffer_destroy(&stored->id);
}

static struct slice
key_of(const struct stored *stored)
{
    return slice_of(stored->key.data, stored->key.size);
}

static struct slice
form(const struct saga_place *place, const struct stored *stored, struct slice value,
    struct buffer *row)
{
    if (place == NULL) {
        return value;
    }
    saga__place_row(place, slice_of(stored->id.data, stored->id.size), value, row);
    return slice_of(row->data, row->size);
}

static enum err
value_of(const struct saga_place *place, struct slice row, struct slice *value, struct diag *diag)
{
    struct slice id;
    *value = row;
    return place == NULL ? ERR_OK : saga__place_value(place, row, &id, value, diag);
}

/* Read and, if wanted, locked as it then is. Who has changed it meanwhile may have committed and
 * not be visible yet: so what he has left is taken from the lock, not looked for again and again.
 */
static enum err
get_row(struct task *task, struct txn *txn, const struct stored *stored, bool lock,
    struct arena *into, struct txn_row *row, bool *found, struct diag *diag)
{
    for (;;) {
        struct txn_snapshot snapshot = txn_statement_begin(txn);
        TRY(txn_get(task, txn, snapshot, stored->tree, key_of(stored), into, row, found, diag));
        if (!*found || !lock) {
            return ERR_OK;
        }
        enum txn_outcome outcome = TXN_CHANGED;
        while (outcome == TXN_CHANGED) {
            struct txn_row latest = *row;
            TRY(txn_lock_row(task, txn, snapshot, stored->tree, key_of(stored), row->version,
                TXN_LOCK_UPDATE, TXN_WAIT, into, &latest, &outcome, diag));
            *row = outcome == TXN_CHANGED ? latest : *row;
        }
        if (outcome == TXN_DONE || outcome == TXN_SELF) {
            return ERR_OK;
        }
        TRY(saga__pause(task, diag));
    }
}

enum err
saga__get(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct slice key, bool lock, struct arena *into, struct slice *value,
    bool *found, struct diag *diag)
{
    struct txn_row row;
    struct stored stored;
    *value = slice_of("", 0);
    enum err err = stored_begin(task, txn, place, tree, key, &stored, diag);
    if (err == ERR_OK) {
        err = get_row(task, txn, &stored, lock, into, &row, found, diag);
    }
    if (err == ERR_OK && *found) {
        err = value_of(place, row.value, value, diag);
    }
    stored_end(&stored);
    return err;
}

enum err
saga__insert(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct slice key, struct slice value, struct arena *into,
    struct slice *existing, struct diag *diag)
{
    struct txn_row row;
    struct stored stored;
    struct buffer bytes = {0};
    enum err err = stored_begin(task, txn, place, tree, key, &stored, diag);
    if (err == ERR_OK) {
        (void)txn_statement_begin(txn);
        err = txn_insert(task, txn, stored.tree, key_of(&stored),
            form(place, &stored, value, &bytes), into, into == NULL ? NULL : &row, diag);
    }
    if (err == ERR_UNIQUE && into != NULL) {
        enum err read = value_of(place, row.value, existing, diag);
        err = read == ERR_OK ? ERR_UNIQUE : read;
    }
    buffer_destroy(&bytes);
    stored_end(&stored);
    return err;
}

static enum err
put(struct task *task, struct txn *txn, const struct stored *stored, struct slice value,
    struct arena *arena, struct diag *diag)
{
    for (;;) {
        struct txn_row row;
        bool found = false;
        enum txn_outcome outcome = TXN_GONE;
        TRY(get_row(task, txn, stored, false, arena, &row, &found, diag));
        if (!found) {
            enum err err =
                txn_insert(task, txn, stored->tree, key_of(stored), value, NULL, NULL, diag);
            if (err != ERR_UNIQUE) { /* else somebody was faster: replace it */
                return err;
            }
        }
        for (outcome = found ? TXN_CHANGED : TXN_GONE; outcome == TXN_CHANGED;) {
            struct txn_row latest = row;
            TRY(txn_update(task, txn, txn_statement_begin(txn), stored->tree, key_of(stored),
                row.version, value, arena, &latest, &outcome, diag));
            row = latest;
        }
        if (outcome == TXN_DONE) {
            return ERR_OK;
        }
        TRY(saga__pause(task, diag));
    }
}

enum err
saga__put(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct slice key, struct slice value, struct diag *diag)
{
    struct stored stored;
    struct buffer bytes = {0};
    struct arena arena;
    arena_create(&arena, "saga row");
    enum err err = stored_begin(task, txn, place, tree, key, &stored, diag);
    if (err == ERR_OK) {
        err = put(task, txn, &stored, form(place, &stored, value, &bytes), &arena, diag);
    }
    arena_destroy(&arena);
    buffer_destroy(&bytes);
    stored_end(&stored);
    return err;
}

enum err
saga__remove(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct slice key, struct arena *scratch, bool *found, struct diag *diag)
{
    struct txn_row row;
    struct stored stored;
    enum txn_outcome outcome;
    enum err err = stored_begin(task, txn, place, tree, key, &stored, diag);
    if (err == ERR_OK) {
        err = get_row(task, txn, &stored, true, scratch, &row, found, diag);
    }
    if (err == ERR_OK && *found) {
        err = txn_remove(task, txn, txn_statement_begin(txn), stored.tree, key_of(&stored),
            row.version, scratch, &row, &outcome, diag);
    }
    stored_end(&stored);
    return err;
}

static enum err
damaged(const char *what, struct diag *diag)
{
    return diag_set(diag, ERR_CORRUPT, "the stored form of a saga's %s is damaged", what);
}

/* ---- definitions -------------------------------------------------------------------------------
 */

void
saga__definition_key(const char *database, const char *name, struct buffer *key)
{
    key->size = 0;
    buffer_add(key, database, strlen(database) + 1);
    buffer_add_text(key, name);
}

void
saga__encode_definition(const struct saga_definition *definition, struct buffer *to)
{
    buffer_add_u8(to, DEFINITION_VERSION);
    buffer_add_sized(to, definition->name);
    buffer_add_sized(to, definition->owner);
    buffer_add_be32(to, definition->timeout_ms);
    buffer_add_be32(to, definition->param_count);
    for (uint32_t i = 0; i < definition->param_count; i++) {
        buffer_add_sized(to, definition->param_names[i]);
        buffer_add_be32(to, definition->param_types[i]);
        buffer_add_sized(to, definition->param_type_names[i]);
    }
    buffer_add_sized(to, definition->path);
    buffer_add_be32(to, definition->step_count);
    for (uint32_t i = 0; i < definition->step_count; i++) {
        const struct saga_step *step = &definition->steps[i];
        buffer_add_sized(to, step->name);
        buffer_add_sized(to, step->schema);
        buffer_add_sized(to, step->table);
        buffer_add_sized(to, step->keys);
        buffer_add_be32(to, step->flags);
        buffer_add_sized(to, step->doing);
        buffer_add_sized(to, step->undoing);
        buffer_add_be32(to, step->retry_max);
        buffer_add_be32(to, step->backoff_ms);
        buffer_add_be32(to, step->backoff_max_ms);
        buffer_add_be32(to, step->timeout_ms);
        buffer_add_be32(to, (uint32_t)step->key_param);
    }
}

static uint32_t
take_number(struct reader *reader)
{
    return load_be32(reader_take(reader, 4));
}

static void
take_step(struct reader *reader, struct arena *arena, uint8_t version, struct saga_step *step)
{
    step->name = reader_text(reader, arena);
    step->schema = reader_text(reader, arena);
    step->table = reader_text(reader, arena);
    step->keys = reader_text(reader, arena);
    step->flags = take_number(reader);
    step->doing = reader_text(reader, arena);
    step->undoing = reader_text(reader, arena);
    step->retry_max = take_number(reader);
    step->backoff_ms = take_number(reader);
    step->backoff_max_ms = take_number(reader);
    step->timeout_ms = take_number(reader);
    step->key_param = version == 1 ? -1 : (int32_t)take_number(reader);
}

enum err
saga__decode_definition(struct arena *arena, struct reader *reader,
    struct saga_definition *definition, struct diag *diag)
{
    uint8_t version = *reader_take(reader, 1);
    reader->bad = reader->bad || version < 1 || version > DEFINITION_VERSION;
    definition->name = reader_text(reader, arena);
    definition->owner = reader_text(reader, arena);
    definition->timeout_ms = take_number(reader);
    definition->param_count = take_number(reader);
    if (reader->bad || definition->param_count > SAGA_PARAMS_MAX) {
        return damaged("definition", diag);
    }
    size_t params = (size_t)definition->param_count + 1;
    definition->param_names = arena_array(arena, params, sizeof *definition->param_names);
    definition->param_types = arena_array(arena, params, sizeof *definition->param_types);
    definition->param_type_names = arena_array(arena, params, sizeof(char *));
    for (uint32_t i = 0; i < definition->param_count; i++) {
        definition->param_names[i] = reader_text(reader, arena);
        definition->param_types[i] = take_number(reader);
        definition->param_type_names[i] = version < 3 ? "" : reader_text(reader, arena);
    }
    definition->path = version < 3 ? "" : reader_text(reader, arena);
    definition->step_count = take_number(reader);
    if (reader->bad || definition->step_count == 0 || definition->step_count > SAGA_STEPS_MAX) {
        return damaged("definition", diag);
    }
    definition->steps = arena_array(arena, definition->step_count, sizeof *definition->steps);
    for (uint32_t i = 0; i < definition->step_count; i++) {
        struct saga_step *step = &definition->steps[i];
        take_step(reader, arena, version, step);
        reader->bad = reader->bad || step->key_param < -1 ||
                      step->key_param >= (int32_t)definition->param_count;
    }
    return reader->bad ? damaged("definition", diag) : ERR_OK;
}

/* ---- instances ---------------------------------------------------------------------------------
 */

void
saga__put_datum(struct buffer *to, oid_t type, struct datum value)
{
    const struct type *known = type_by_oid(type);
    buffer_add_u8(to, value.null);
    if (value.null) {
        return;
    }
    if (known != NULL && known->by_reference) {
        buffer_add_be32(to, value.size);
        buffer_add(to, value.p, value.size);
    } else {
        buffer_add_be64(to, (uint64_t)value.i);
    }
}

struct datum
saga__take_datum(struct reader *reader, struct arena *arena, oid_t type)
{
    const struct type *known = type_by_oid(type);
    if (*reader_take(reader, 1) != 0) {
        return datum_null();
    }
    if (known != NULL && known->by_reference) {
        struct slice bytes = reader_run(reader, take_number(reader));
        return datum_bytes(arena_copy(arena, bytes.data, bytes.size), bytes.size);
    }
    return datum_int((int64_t)load_be64(reader_take(reader, 8)));
}

void
saga__params_out(const struct eval_env *env, struct saga_instance *instance, struct arena *arena)
{
    struct saga_definition *definition = &instance->definition;
    for (uint32_t i = 0; i < definition->param_count; i++) {
        if (definition->param_type_names[i][0] == '\0') {
            continue;
        }
        if (!instance->params[i].null) {
            struct buffer text = {0};
            type_output(env, definition->param_types[i], instance->params[i], &text);
            instance->params[i] =
                datum_bytes(arena_copy(arena, text.data, text.size), (uint32_t)text.size);
            buffer_destroy(&text);
        }
        definition->param_types[i] = TYPE_TEXT;
    }
}

enum err
saga__params_in(struct eval *eval, struct saga_definition *definition, const struct datum **params,
    struct diag *diag)
{
    struct datum *values = NULL;
    for (uint32_t i = 0; i < definition->param_count; i++) {
        if (definition->param_type_names[i][0] == '\0') {
            continue;
        }
        const struct type *type =
            type_by_sql_name(eval->env, eval->arena, definition->param_type_names[i]);
        if (type == NULL) {
            return diag_set(diag, ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist",
                definition->param_type_names[i]);
        }
        if (values == NULL) {
            values = arena_array(eval->arena, definition->param_count, sizeof *values);
            memcpy(values, *params, definition->param_count * sizeof *values);
            *params = values;
        }
        int32_t typmod = -1;
        definition->param_types[i] = catalog_base_type(eval->env->catalog, type->oid, &typmod);
        if (!values[i].null) {
            struct slice text = slice_of(values[i].p, values[i].size);
            TRY(type_input(eval, definition->param_types[i], -1, text, &values[i]));
        }
    }
    return ERR_OK;
}

/* What changes with every step comes first, and keeps its place, so that the log gets little. */
void
saga__encode_instance(const struct saga_instance *instance, struct buffer *to)
{
    buffer_add_u8(to, RECORD_VERSION);
    buffer_add_u8(to, (uint8_t)instance->state);
    buffer_add_u8(to, (uint8_t)((instance->compensates ? 1U : 0U) | (instance->skips ? 2U : 0U) |
                                (instance->forgets ? 4U : 0U) | (instance->noted ? 8U : 0U)));
    buffer_add_be16(to, instance->step);
    buffer_add_be32(to, instance->attempts);
    buffer_add_be64(to, (uint64_t)instance->due);
    buffer_add_be64(to, (uint64_t)instance->changed);
    buffer_add_be64(to, (uint64_t)instance->started);
    buffer_add_be64(to, (uint64_t)instance->deadline);
    buffer_add_sized(to, instance->sqlstate);
    buffer_add_sized(to, instance->error);
    buffer_add_sized(to, instance->cause);
    buffer_add_sized(to, instance->database);
    buffer_add_sized(to, instance->login);
    buffer_add_sized(to, instance->role);
    buffer_add_sized(to, instance->key);
    saga__encode_definition(&instance->definition, to);
    for (uint32_t i = 0; i < instance->definition.param_count; i++) {
        saga__put_datum(to, instance->definition.param_types[i], instance->params[i]);
    }
}

enum err
saga__decode_instance(struct arena *arena, uint64_t number, struct slice value,
    struct saga_instance *instance, struct diag *diag)
{
    struct reader reader = {.rest = value};
    *instance = (struct saga_instance){.number = number};
    reader.bad = *reader_take(&reader, 1) != RECORD_VERSION;
    uint8_t state = *reader_take(&reader, 1);
    instance->state = (enum saga_state)state;
    uint8_t flags = *reader_take(&reader, 1);
    instance->compensates = (flags & 1) != 0;
    instance->skips = (flags & 2) != 0;
    instance->forgets = (flags & 4) != 0;
    instance->noted = (flags & 8) != 0;
    instance->step = load_be16(reader_take(&reader, 2));
    instance->attempts = take_number(&reader);
    instance->due = (int64_t)load_be64(reader_take(&reader, 8));
    instance->changed = (int64_t)load_be64(reader_take(&reader, 8));
    instance->started = (int64_t)load_be64(reader_take(&reader, 8));
    instance->deadline = (int64_t)load_be64(reader_take(&reader, 8));
    instance->sqlstate = reader_text(&reader, arena);
    instance->error = reader_text(&reader, arena);
    instance->cause = reader_text(&reader, arena);
    instance->database = reader_text(&reader, arena);
    instance->login = reader_text(&reader, arena);
    instance->role = reader_text(&reader, arena);
    instance->key = reader_text(&reader, arena);
    if (reader.bad || state > SAGA_COMPENSATED) {
        return damaged("instance", diag);
    }
    struct saga_definition *definition = &instance->definition;
    TRY(saga__decode_definition(arena, &reader, definition, diag));
    instance->params =
        arena_array(arena, (size_t)definition->param_count + 1, sizeof *instance->params);
    for (uint32_t i = 0; i < definition->param_count; i++) {
        instance->params[i] = saga__take_datum(&reader, arena, definition->param_types[i]);
    }
    bool good = !reader.bad && reader.rest.size == 0 &&
                (instance->step < definition->step_count || saga__is_final(instance->state));
    return good ? ERR_OK : damaged("instance", diag);
}

enum err
saga__instance_put(struct task *task, struct txn *txn, const struct saga_place *place,
    const struct saga_instance *instance, struct diag *diag)
{
    uint8_t key[8];
    struct buffer value = {0};
    store_be64(key, instance->number);
    saga__encode_instance(instance, &value);
    enum err err = saga__put(task, txn, place, CATALOG_TREE_SAGA_INSTANCES,
        slice_of(key, sizeof key), slice_of(value.data, value.size), diag);
    buffer_destroy(&value);
    if (err == ERR_OK && place != NULL && saga__is_final(instance->state) && !instance->forgets) {
        err = saga__open_remove(task, txn, place, instance->number, diag);
    }
    return err;
}

enum err
saga__instance_get(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, bool lock, struct arena *arena, struct saga_instance *instance, bool *found,
    struct diag *diag)
{
    uint8_t key[8];
    struct slice value;
    store_be64(key, number);
    TRY(saga__get(task, txn, place, CATALOG_TREE_SAGA_INSTANCES, slice_of(key, sizeof key), lock,
        arena, &value, found, diag));
    return *found ? saga__decode_instance(arena, number, value, instance, diag) : ERR_OK;
}

/* ---- records of steps --------------------------------------------------------------------------
 */

static struct slice
record_key(uint8_t key[SAGA_ID_SIZE + 3], uint64_t number, uint16_t step, enum saga_kind kind)
{
    saga__id(0, number, key);
    store_be16(key + SAGA_ID_SIZE, step);
    key[SAGA_ID_SIZE + 2] = (uint8_t)kind;
    return slice_of(key, SAGA_ID_SIZE + 3);
}

enum err
saga__record_claim(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, uint16_t step, enum saga_kind kind, bool *taken, struct diag *diag)
{
    uint8_t key[SAGA_ID_SIZE + 3];
    enum err err = saga__insert(task, txn, place, CATALOG_TREE_SAGA_STEPS,
        record_key(key, number, step, kind), slice_of("", 0), NULL, NULL, diag);
    *taken = err == ERR_UNIQUE;
    return *taken ? ERR_OK : err;
}

void
saga__encode_record(const struct saga_record *record, struct buffer *to)
{
    buffer_add_u8(to, RECORD_VERSION);
    buffer_add_u8(to, (uint8_t)record->outcome);
    buffer_add_be32(to, record->attempt);
    buffer_add_be64(to, record->epoch);
    buffer_add_be64(to, (uint64_t)record->time);
    buffer_add_be64(to, record->rows);
    buffer_add_sized(to, record->result);
    buffer_add(to, record->images.data, record->images.size);
}

enum err
saga__decode_record(
    struct arena *arena, struct slice value, struct saga_record *record, struct diag *diag)
{
    struct reader reader = {.rest = value};
    reader.bad = *reader_take(&reader, 1) != RECORD_VERSION;
    uint8_t outcome = *reader_take(&reader, 1);
    *record = (struct saga_record){.outcome = (enum saga_outcome)outcome};
    record->attempt = take_number(&reader);
    record->epoch = load_be64(reader_take(&reader, 8));
    record->time = (int64_t)load_be64(reader_take(&reader, 8));
    record->rows = load_be64(reader_take(&reader, 8));
    record->result = reader_text(&reader, arena);
    record->images = reader.rest;
    return reader.bad || outcome > SAGA_SKIPPED ? damaged("step", diag) : ERR_OK;
}

enum err
saga__record_put(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, uint16_t step, enum saga_kind kind, const struct saga_record *record,
    struct diag *diag)
{
    uint8_t key[SAGA_ID_SIZE + 3];
    struct buffer value = {0};
    saga__encode_record(record, &value);
    enum err err = saga__put(task, txn, place, CATALOG_TREE_SAGA_STEPS,
        record_key(key, number, step, kind), slice_of(value.data, value.size), diag);
    buffer_destroy(&value);
    return err;
}

enum err
saga__record_get(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, uint16_t step, enum saga_kind kind, struct arena *arena,
    struct saga_record *record, bool *found, struct diag *diag)
{
    uint8_t key[SAGA_ID_SIZE + 3];
    struct slice value;
    TRY(saga__get(task, txn, place, CATALOG_TREE_SAGA_STEPS, record_key(key, number, step, kind),
        false, arena, &value, found, diag));
    return *found ? saga__decode_record(arena, value, record, diag) : ERR_OK;
}

enum err
saga__record_look(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    const struct saga_place *place, uint64_t number, uint16_t step, enum saga_kind kind,
    struct arena *arena, struct txn_row *row, bool *found, struct diag *diag)
{
    uint8_t key[SAGA_ID_SIZE + 3];
    struct stored stored;
    name(place, CATALOG_TREE_SAGA_STEPS, record_key(key, number, step, kind), &stored);
    enum err err =
        txn_get(task, txn, snapshot, stored.tree, key_of(&stored), arena, row, found, diag);
    stored_end(&stored);
    return err;
}

/* Both records of a step. */
enum err
saga__record_remove(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, uint16_t step, struct arena *scratch, struct diag *diag)
{
    for (int kind = SAGA_DO; kind <= (int)SAGA_UNDO; kind++) {
        uint8_t key[SAGA_ID_SIZE + 3];
        bool found = false;
        TRY(saga__remove(task, txn, place, CATALOG_TREE_SAGA_STEPS,
            record_key(key, number, step, (enum saga_kind)kind), scratch, &found, diag));
    }
    return ERR_OK;
}
