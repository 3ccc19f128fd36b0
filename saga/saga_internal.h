/*
 * saga/saga_internal.h - definitions, instances, records of steps.
 *
 * Trees (sql/catalog/trees.h), records of store.c:
 *
 *     SAGAS           database NUL name                      a definition
 *     SAGA_INSTANCES  be64 number                            an instance, its definition included
 *     SAGA_KEYS       database NUL role NUL key              be64 number, digest of the request
 *     SAGA_STEPS      16 saga id, be16 step, kind byte       a record of a step
 *     SAGA_EPOCHS     8 home                                 be64 epoch, be64 next number
 *
 * A saga's id is its home (8 bytes; 0 here) and its number on it, big-endian.
 *
 * In a cluster instances, keys and records are rows of sharded tables instead (struct saga_place),
 * under the same keys: so they are where their bucket is, and move with it.
 */
#ifndef SAGA_SAGA_INTERNAL_H
#define SAGA_SAGA_INTERNAL_H

#include "base/hash.h"
#include "base/latch.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/reader.h"
#include "saga/saga.h"
#include "sql/catalog/catalog.h"
#include "sql/catalog/trees.h"
#include "sql/session/body.h"
#include "txn/txn.h"

enum {
    SAGA_ID_SIZE = 16,
    SAGA_PARAMS_MAX = 64,
    SAGA_STEPS_MAX = 1000,
    SAGA_RESULT_MAX = 1024,
    SAGA_WORKERS_MAX = 64,
};

enum saga_step_flags {
    SAGA_UNDO_AUTO = 1,
    SAGA_PIVOT = 2,
    SAGA_RETRIABLE = 4,
    SAGA_EXPECT_ROWS = 8,
    SAGA_HAS_UNDO = 16,
};

struct saga_step {
    const char *name;
    const char *schema, *table;
    const char *keys; /* as written */
    unsigned flags;
    const char *doing, *undoing;
    uint32_t retry_max;
    uint32_t backoff_ms, backoff_max_ms;
    uint32_t timeout_ms; /* 0: none */
    int32_t key_param;   /* whose value is the table's shard column's; -1: none */
};

struct saga_definition {
    const char *name;
    const char *owner;
    uint32_t timeout_ms; /* 0: none */
    uint32_t param_count;
    const char **param_names;
    oid_t *param_types;
    /* In a cluster, of a type that users have made: its name, by which each node knows it. Between
     * nodes, and in instances, such a value is its text, and the type TYPE_TEXT. "": none. */
    const char **param_type_names;
    const char *path; /* as SET search_path has it; "": not known (made by an older server) */
    uint32_t step_count;
    struct saga_step *steps;
};

enum saga_state {
    SAGA_RUNNING,
    SAGA_COMPENSATING,
    SAGA_STUCK,  /* somebody has to look: `compensates` says which way it was going */
    SAGA_PAUSED, /* the same */
    SAGA_COMPLETED,
    SAGA_COMPENSATED,
};

struct saga_instance {
    uint64_t number;
    enum saga_state state;
    bool compensates;
    bool skips;        /* the step that is next is not to be run: its record shall say so */
    bool forgets;      /* it ended long ago: the records of this step and those before it go */
    bool noted;        /* and its note is known to be gone (note.c) */
    uint16_t step;     /* that is next */
    uint32_t attempts; /* of it that failed */
    int64_t due;       /* not before; us since 1970 */
    int64_t started, changed;
    int64_t deadline;     /* us since 1970; 0: none */
    const char *sqlstate; /* of the last failure; "": none */
    const char *error;
    const char *cause; /* why it compensates; "": it does not */
    const char *database;
    const char *login, *role;
    const char *key; /* "": none */
    struct datum *params;
    struct saga_definition definition;
};

/* Of one step's doing or undoing. */
enum saga_kind {
    SAGA_DO,
    SAGA_UNDO,
};

enum saga_outcome {
    SAGA_DONE,
    SAGA_TOMBSTONE, /* undone before it was done: it will not be */
    SAGA_SKIPPED,   /* by ALTER SAGA INSTANCE .. SKIP STEP */
};

struct saga_record {
    enum saga_outcome outcome;
    uint32_t attempt;
    uint64_t epoch;
    int64_t time;
    uint64_t rows;
    const char *result;
    struct slice images; /* of UNDO AUTO: images.c */
};

/* ---- store.c ----------------------------------------------------------------------------------
 */

const char *saga__state_name(enum saga_state state);
bool saga__is_final(enum saga_state state);

static inline tree_id_t
saga__tree(enum catalog_tree tree)
{
    return (tree_id_t){tree};
}

void saga__id(uint64_t home, uint64_t number, uint8_t id[SAGA_ID_SIZE]);

/* ---- place.c ----------------------------------------------------------------------------------
 *
 * Where rows are. NULL: in this node's own trees. Else in a sharded table of three columns: the
 * shard column, tusk_id (the tree's number and the key), tusk_value. Whoever reads or writes there
 * holds the bucket's lock to the end of his transaction, so what he does is done where the bucket
 * is (TR003, TR004 else).
 */
struct saga_place {
    struct catalog_store *store;
    struct catalog *catalog; /* held */
    const struct relation *relation;
    struct datum shard;
};

#define SAGA_DATABASE  "postgres" /* of a cluster */
#define SAGA_LOG_GROUP "tusk_cluster.sagas"

/* Is this server a node of a cluster? */
bool saga__in_cluster(struct sql_engine *engine);
/* Refuses a session that is in another database than the cluster's. */
enum err saga__check_database(struct sql_session *session, struct diag *diag);
/* Instances of this slot (saga.h); *place: NULL if this server is no node of a cluster that has
 * sagas. `reads`: the bucket is not asked for. */
enum err saga__place_home(struct task *task, struct sql_engine *engine, struct txn *txn,
    uint32_t slot, bool reads, struct arena *arena, struct saga_place **place, struct diag *diag);
/* Records of a step whose key has this value. NULL: the step's table is not sharded. */
enum err saga__place_step(struct task *task, struct sql_session *session,
    const struct saga_step *step, const struct datum *params, const oid_t *param_types,
    struct arena *arena, struct saga_place **place, struct diag *diag);
/* Records of this group, to be read; the shard column's value is not set. NULL: there are none. */
enum err saga__place_records(struct task *task, struct sql_engine *engine, struct txn *txn,
    const char *table, struct arena *arena, struct saga_place **place, struct diag *diag);
void saga__place_end(struct saga_place *place); /* or NULL */
/* The slots whose bucket this node has, as bits. 0 in no cluster. `comings`, or NULL: which of its
 * moves has brought it, so that one that was away and is back can be told. */
enum err saga__own_slots(struct task *task, struct sql_engine *engine, struct txn *txn,
    uint64_t *slots, uint64_t *comings, struct diag *diag);
enum err saga__owns_slot(struct task *task, struct sql_engine *engine, struct txn *txn,
    uint32_t slot, bool *owned, struct diag *diag);
/* Any one of them; SAGA_SLOTS: there is none. */
enum err saga__own_slot(struct task *task, struct sql_engine *engine, struct txn *txn,
    uint32_t *slot, struct diag *diag);
/* Of a place: its row's key and form. */
enum err saga__place_check(struct task *task, struct txn *txn, const struct saga_place *place,
    struct slice id, struct diag *diag);
void saga__place_key(const struct saga_place *place, struct slice id, struct buffer *key);
void saga__place_row(
    const struct saga_place *place, struct slice id, struct slice value, struct buffer *row);
enum err saga__place_value(const struct saga_place *place, struct slice row, struct slice *id,
    struct slice *value, struct diag *diag);

enum err saga__pause(struct task *task, struct diag *diag);
/* Insert or replace. The row is as the newest commit and this transaction have it. */
enum err saga__put(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct slice key, struct slice value, struct diag *diag);
/* ERR_UNIQUE: there is one; its value in `existing` (of `into`). */
enum err saga__insert(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct slice key, struct slice value, struct arena *into,
    struct slice *existing, struct diag *diag);
/* The newest; locked for this transaction until its end if `lock`. */
enum err saga__get(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct slice key, bool lock, struct arena *into, struct slice *value,
    bool *found, struct diag *diag);
enum err saga__remove(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct slice key, struct arena *scratch, bool *found,
    struct diag *diag);

void saga__definition_key(const char *database, const char *name, struct buffer *key);
void saga__encode_definition(const struct saga_definition *definition, struct buffer *to);
enum err saga__decode_definition(struct arena *arena, struct reader *reader,
    struct saga_definition *definition, struct diag *diag);

enum err saga__instance_put(struct task *task, struct txn *txn, const struct saga_place *place,
    const struct saga_instance *instance, struct diag *diag);
enum err saga__instance_get(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, bool lock, struct arena *arena, struct saga_instance *instance, bool *found,
    struct diag *diag);
void saga__encode_instance(const struct saga_instance *instance, struct buffer *to);
enum err saga__decode_instance(struct arena *arena, uint64_t number, struct slice value,
    struct saga_instance *instance, struct diag *diag);

/* The row of a record, empty so far, is this transaction's; *taken: there is one already. Waits for
 * whoever is about to write it. */
enum err saga__record_claim(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, uint16_t step, enum saga_kind kind, bool *taken, struct diag *diag);
enum err saga__record_put(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, uint16_t step, enum saga_kind kind, const struct saga_record *record,
    struct diag *diag);
enum err saga__record_get(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, uint16_t step, enum saga_kind kind, struct arena *arena,
    struct saga_record *record, bool *found, struct diag *diag);

/* Its row as the snapshot has it; nobody is asked whose bucket it is. */
enum err saga__record_look(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    const struct saga_place *place, uint64_t number, uint16_t step, enum saga_kind kind,
    struct arena *arena, struct txn_row *row, bool *found, struct diag *diag);

/* What a delivery answers, and its home keeps. */
void saga__encode_record(const struct saga_record *record, struct buffer *to);
enum err saga__decode_record(
    struct arena *arena, struct slice value, struct saga_record *record, struct diag *diag);
/* From a value to what instances have of it, and back (param_type_names). */
void saga__params_out(
    const struct eval_env *env, struct saga_instance *instance, struct arena *arena);
enum err saga__params_in(struct eval *eval, struct saga_definition *definition,
    const struct datum **params, struct diag *diag);
/* Can the step's key be of this type? */
bool saga__key_fits(oid_t param, oid_t column);
/* Both of a step. */
enum err saga__record_remove(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, uint16_t step, struct arena *scratch, struct diag *diag);
void saga__put_datum(struct buffer *to, oid_t type, struct datum value);
struct datum saga__take_datum(struct reader *reader, struct arena *arena, oid_t type);

/* ---- define.c, start.c ------------------------------------------------------------------------
 */

enum err saga__create(struct task *task, void *arg, struct sql_session *session,
    const struct ast_create_saga *statement, const char *text, size_t size, struct diag *diag);
enum err saga__drop(struct task *task, void *arg, struct sql_session *session,
    const struct ast_drop_saga *statement, struct diag *diag);
enum err saga__start(struct task *task, void *arg, struct sql_session *session,
    const struct ast_start_saga *statement, const char *text, bool in_block, struct arena *arena,
    struct sql_saga_answer *answer, struct diag *diag);
enum err saga__alter(struct task *task, void *arg, struct sql_session *session,
    const struct ast_alter_saga *statement, struct diag *diag);

/* database.c: hooks.database_goes. */
enum err saga__database_goes(struct task *task, void *arg, struct sql_session *session,
    const char *name, const char *to, struct diag *diag);

/* Is the session's user the owner, or a superuser? */
enum err saga__may(struct task *task, struct sql_session *session, const char *owner, bool *may,
    struct diag *diag);

/* ---- step.c -----------------------------------------------------------------------------------
 */

/* What a coordinator asks the shard of a step to do. */
struct saga_delivery {
    uint64_t home;                  /* 0: here; else 1 and the slot */
    const struct saga_place *place; /* of the records */
    uint64_t number;
    uint16_t step;
    enum saga_kind kind;
    uint32_t attempt; /* from 1 */
    uint64_t epoch;
    bool skips; /* only the record */
    const struct saga_definition *definition;
    const struct datum *params;
};

/* In the session's transaction, which then must commit: the step's effect and its record. If there
 * is a record already nothing is done, and it is what is answered. */
enum err saga__deliver(struct task *task, struct sql_session *session,
    const struct saga_delivery *delivery, struct arena *arena, struct saga_record *record,
    struct diag *diag);

/* ---- images.c ---------------------------------------------------------------------------------
 */

/* What the transaction has changed since it wrote its record's claim, as statements that take it
 * back. */
enum err saga__images(struct task *task, struct sql_session *session, const char *table,
    struct arena *arena, struct slice *images, struct diag *diag);
/* Runs them, last change first. */
enum err saga__invert(
    struct task *task, struct sql_session *session, struct slice images, struct diag *diag);

/* ---- coordinator.c ----------------------------------------------------------------------------
 */

struct saga_waiter {
    struct list_node node;
    struct task *task;
    uint64_t number;
    bool told;
};

/* ---- queue.c: instances that have something to do, each once --------------------------------- */

struct saga_due {
    uint64_t number;
    int64_t due;
    bool ends; /* when the transaction commits that has said so; else it is looked at when due */
};

struct saga_queue {
    struct saga_due *heap; /* the first is due first */
    size_t count, capacity;
    uint32_t *places; /* by a number's hash: 1 and where it stands in `heap`; 0: free */
    size_t mask;
};

void saga__queue_set(struct saga_queue *queue, uint64_t number, int64_t due);
struct saga_due *saga__queue_find(const struct saga_queue *queue, uint64_t number);
void saga__queue_remove(struct saga_queue *queue, uint64_t number);
void saga__queue_destroy(struct saga_queue *queue);

struct saga_worker {
    struct saga_room *room;
    struct task *task;
    struct sql_session *session; /* or NULL: as whom it last worked */
    char *database, *login, *role;
    char *path; /* that was set; NULL: the role's own */
    bool ended;
};

struct saga_room {
    struct sql_engine *engine;
    struct world *world;
    struct sql_saga_hooks hooks;
    uint64_t epoch;

    struct latch latch; /* everything below */
    uint64_t next_number;
    uint64_t last_us;             /* of a number that was given in a cluster */
    uint64_t slots;               /* of a cluster: those whose sagas stand in `open` */
    uint64_t epochs[SAGA_SLOTS];  /* of those */
    uint64_t comings[SAGA_SLOTS]; /* saga__own_slots */
    struct saga_queue open;       /* until when somebody else has it, or it rests */
    struct list_node takers;
    bool looking;
    int64_t looked, forgot;
    struct saga_queue queue;            /* of this node alone */
    uint64_t running[SAGA_WORKERS_MAX]; /* 0: none */
    bool again[SAGA_WORKERS_MAX];       /* it was touched meanwhile */
    struct list_node waiters;
    struct saga_worker workers[SAGA_WORKERS_MAX];
    uint32_t worker_count, workers_alive;
    bool stopping;
};

/* The step that was next is over: another is, or the saga has ended. */
void saga__advance(struct saga_instance *instance);
/* The instance may have something to do at `due`. Any thread. */
void saga__enqueue(struct saga_room *room, uint64_t number, int64_t due);
void saga__committed(void *arg, uint64_t number);
/* Before a transaction that makes the instance commits. */
void saga__wait_begin(struct saga_room *room, struct saga_waiter *waiter);
void saga__wait_end(struct saga_room *room, struct saga_waiter *waiter);

/* No number that was given is given again, though the rows that tell of it go. */
enum err saga__keep_number(
    struct task *task, struct saga_room *room, struct txn *txn, struct diag *diag);

/* Commits if all is well, else rolls back; either way the transaction is deleted. */
enum err saga__end(struct task *task, struct txn *txn, enum err err, struct diag *diag);
bool saga__is_revocable(const struct saga_instance *instance);
void saga__turn_back(
    struct saga_instance *instance, const char *sqlstate, const char *why, struct arena *arena);
/* An attempt has failed: what follows. */
void saga__judge(struct saga_room *room, struct saga_instance *instance, const struct diag *failure,
    struct arena *arena);
void saga__tell_waiters(struct saga_room *room, uint64_t number);

/* ---- home.c: sagas of a cluster whose home is here ---------------------------------------------
 */

typedef enum err saga_each(void *arg, uint64_t number, struct slice value, bool *enough);
/* Rows of one kind in a slot. */
enum err saga__each_row(struct task *task, struct txn *txn, const struct saga_place *place,
    enum catalog_tree tree, struct arena *arena, saga_each *each, void *arg, struct diag *diag);
/* A number of this slot; no other ever is or was the same. */
uint64_t saga__cluster_number(struct saga_room *room, uint32_t slot);
bool saga__is_routed(uint64_t number);
/* It was changed, or made: an order may be due. */
void saga__routed_touch(struct saga_room *room, uint64_t number);
void saga__routed_forget(struct saga_room *room, uint64_t number);
void saga__register_home(void);
void saga__put_order(struct buffer *to, const struct saga_order *order);
void saga__put_hex(struct buffer *to, struct slice bytes);
/* A superuser's session: the routers'. */
enum err saga__check_caller(const struct eval *eval, struct saga_room **room);

/* ---- note.c: sagas that begin in a block of another node ---------------------------------------
 */

/* In the queue a note stands under this, its saga under the number itself. */
static inline uint64_t
saga__note_entry(uint64_t number)
{
    return number | (uint64_t)1 << 63;
}

static inline bool
saga__is_note_entry(uint64_t entry)
{
    return entry >> 63 != 0;
}

static inline uint64_t
saga__of_note_entry(uint64_t entry)
{
    return entry & ~((uint64_t)1 << 63);
}

bool saga__is_noted(uint64_t number);
/* Gives the instance its number and leaves the note, in the block's transaction. */
enum err saga__note_start(struct task *task, struct saga_room *room, struct txn *txn,
    struct saga_instance *instance, const uint8_t digest[HASH128_SIZE], struct arena *arena,
    struct diag *diag);
enum err saga__note_order(struct task *task, struct saga_room *room, struct txn *txn,
    uint64_t entry, struct arena *arena, struct buffer *order, struct diag *diag);
enum err saga__each_note(struct task *task, struct txn *txn, const struct saga_place *place,
    struct arena *arena, saga_each *each, void *arg, struct diag *diag);
struct slice saga__of_note(struct slice value); /* its instance */
void saga__noted_sql(uint64_t number, struct buffer *sql);
void saga__register_notes(void);

/* ---- settled.c: which are open, as of a moment -------------------------------------------------
 */

#define SAGA_OPEN_ROWS ((enum catalog_tree)251) /* in ids of rows only: there is no such tree */

/* With the commit that begins the instance, and the one that ends it. */
enum err saga__open_put(struct task *task, struct saga_room *room, struct txn *txn,
    const struct saga_place *place, const struct saga_instance *instance, struct diag *diag);
enum err saga__open_remove(struct task *task, struct txn *txn, const struct saga_place *place,
    uint64_t number, struct diag *diag);
/* hooks.check_open. */
enum err saga__check_open(struct task *task, void *arg, struct txn *txn,
    struct txn_snapshot snapshot, const struct shard_settled *settled, struct diag *diag);
void saga__register_settled(void);

/* remote.c */
void saga__encode_delivery(const struct saga_delivery *delivery, bool forgets, int64_t sent,
    uint64_t stamp, struct buffer *to);
void saga__register_functions(void);
/* S8 */
enum err saga__check_age(struct saga_room *room, int64_t sent, struct diag *diag);
/* Of the session that evaluates; NULL: there is none. */
struct saga_room *saga__room(const struct eval *eval);

/* expire.c */
enum err saga__expire(struct task *task, struct saga_room *room, struct diag *diag);
/* start.c: of CATALOG_TREE_SAGA_KEYS. */
void saga__key(const struct saga_instance *instance, struct buffer *key);
/* *other: whose it is already, and whether by the same request; 0: the instance's now. */
enum err saga__claim_key(struct task *task, struct txn *txn, const struct saga_place *place,
    const struct saga_instance *instance, const uint8_t digest[HASH128_SIZE], struct arena *arena,
    uint64_t *other, bool *same, struct diag *diag);

/* views.c */
const char *saga__outcome_name(enum saga_kind kind, enum saga_outcome outcome);
void saga__register_views(struct saga_room *room);

#endif /* SAGA_SAGA_INTERNAL_H */
