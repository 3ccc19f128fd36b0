/*
 * router/sagas.c - sagas over several nodes: their definitions, and who carries their steps.
 *
 * What a saga does next its home says (saga/home.c). Here is a task for each node that asks for
 * orders, and one for each saga under way, which has the order done at the node that has the step's
 * bucket and reports to the home, which answers with the next. All that is remembered is at the
 * nodes: a router that dies amid a saga leaves it to any other, once the home's lease is over.
 *
 * Why the routers: nodes do not know each other, and have no way to each other. What keeps a step
 * from taking effect twice, or at a node that has its bucket no more, is not here but in the
 * delivery's own transaction (saga/README.md, S1, S7).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "router/router.h"
#include "saga/saga.h"
#include "sql/bind/bind.h"
#include "sql/catalog/sharding.h"
#include "sql/session/body.h"

enum {
    TAKE_WAIT_MS = 400,
    RUNS_MAX = 16, /* of each node's sagas, in this router */
    FAILED_PAUSE_US = 200 * 1000,
    ROOM_PAUSE_US = 2 * 1000,
    MANAGE_PAUSE_US = 500 * 1000,
    STOP_PAUSE_US = 5 * 1000,
    ASK_AGAIN_MAX = 50, /* a bucket that is on its way */
    ASK_AGAIN_US = 10 * 1000,
    REPORTS_MAX = 20,
};

#define LOG_SCHEMA "tusk_cluster"
#define LOG_TABLE  "sagas"
#define LOG_GROUP  LOG_SCHEMA "." LOG_TABLE

struct sagas {
    struct router *router;
    _Atomic bool closing;
    _Atomic uint32_t alive; /* tasks */
    _Atomic uint32_t runs[ROUTER_NODES_MAX];
};

/* ---- asking ------------------------------------------------------------------------------------
 */

/* Of a delivery: what it says, and the clock behind its commit. */
struct delivered {
    struct buffer answer;
    uint64_t clock;
    uint32_t rows;
};

static enum err
take_delivered(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct delivered *delivered = arg;
    if (delivered->rows++ > 0) {
        return remote_note_clock(&delivered->clock, values, count, diag);
    }
    if (count == 1 && values[0].data != NULL) {
        buffer_add(&delivered->answer, values[0].data, values[0].size);
    }
    return ERR_OK;
}

static enum err
take_text(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct buffer *text = arg;
    (void)diag;
    text->size = 0;
    if (count == 1 && values[0].data != NULL) {
        buffer_add(text, values[0].data, values[0].size);
    }
    return ERR_OK;
}

/* In a connection of the routers' own pools for sagas: clients that wait for sagas cannot keep them
 * from being carried on. */
static enum err
at_node(struct task *task, struct router *router, uint32_t node, const char *database,
    const char *text, node_row *row, void *arg, struct diag *diag)
{
    struct worker *worker = &router->workers[task_worker(task)];
    struct upstream *upstream = NULL;
    const char *user = sql_config_text(router->config, "router_user");
    TRY(pool_acquire(task, pool_of_sagas(worker, node, user, database), NULL, &upstream, diag));
    enum err err = node_query(task, upstream, text, row, arg, diag);
    if (err != ERR_OK && !upstream->broken && upstream->status != 'I') {
        struct diag ignored;
        if (node_query(task, upstream, "ROLLBACK", NULL, NULL, &ignored) != ERR_OK) {
            upstream->broken = true;
        }
    }
    pool_release(task, upstream);
    return err;
}

static int
digit_of(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err
sagas_read_bytes(struct arena *arena, struct slice text, struct slice *read, struct diag *diag)
{
    size_t size = text.size < 2 ? 0 : (text.size - 2) / 2;
    uint8_t *bytes = arena_alloc(arena, size + 1);
    for (size_t i = 0; i < size; i++) {
        int high = digit_of(text.data[2 + 2 * i]);
        int low = digit_of(text.data[3 + 2 * i]);
        if (high < 0 || low < 0) {
            return diag_set(diag, ERR_PROTOCOL, "a node's answer about sagas is damaged");
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    *read = slice_of(bytes, size);
    return ERR_OK;
}

static enum err
read_order(
    struct arena *arena, const struct buffer *text, struct saga_order *order, struct diag *diag)
{
    struct slice bytes;
    TRY(sagas_read_bytes(arena, slice_of(text->data, text->size), &bytes, diag));
    return saga_order_decode(arena, bytes, order, diag);
}

/* ---- one saga, as far as it goes ---------------------------------------------------------------
 */

struct carried {
    struct sagas *sagas;
    uint32_t node; /* that gave the first order */
    struct buffer order;
};

static bool
is_elsewhere(enum err err)
{
    return err == ERR_WRONG_BUCKET || err == ERR_BUCKET_MOVING;
}

static void
look_again(struct task *task, struct router *router)
{
    struct diag ignored;
    task_sleep(
        task, ASK_AGAIN_US + (int64_t)(world_random(router->world) % (uint64_t)ASK_AGAIN_US));
    (void)!cluster_refresh(task, router, &ignored);
}

/* At the node that has the bucket, wherever it has gone meanwhile. */
static enum err
perform(struct task *task, struct sagas *sagas, const struct saga_order *order,
    struct delivered *delivered, struct diag *diag)
{
    struct router *router = sagas->router;
    enum err err = ERR_OK;
    for (int attempt = 0; attempt < ASK_AGAIN_MAX && !sagas->closing; attempt++) {
        int node = order->group[0] == '\0'
                       ? 0
                       : cluster_owner(router->cluster, order->group, order->bucket);
        delivered->rows = 0;
        delivered->answer.size = 0;
        err = node < 0 ? diag_set(diag, ERR_WRONG_BUCKET, "no node is known to have these rows")
                       : at_node(task, router, (uint32_t)node, order->database, order->sql,
                             take_delivered, delivered, diag);
        if (!is_elsewhere(err)) {
            return err;
        }
        look_again(task, router);
    }
    return sagas->closing ? diag_set(diag, ERR_ADMIN_SHUTDOWN, "the router ends") : err;
}

static void
put_report(struct buffer *text, const struct saga_order *order, enum err outcome,
    const struct diag *failure, const struct delivered *delivered)
{
    const char *message = outcome == ERR_OK ? "" : failure->message;
    if (order->kind == SAGA_ORDER_NOTE) {
        buffer_printf(text, "SELECT tusk_saga_noted(%llu)", (unsigned long long)order->number);
        buffer_add_u8(text, 0);
        return;
    }
    struct arena arena;
    arena_create(&arena, "report");
    buffer_printf(text, "SELECT tusk_saga_report(%llu, %u, %s, %u, '%s', ",
        (unsigned long long)order->number, order->step, order->kind != 0 ? "true" : "false",
        order->attempt, outcome == ERR_OK ? "" : err_sqlstate(outcome));
    buffer_add_text(text, parser_quote_literal(&arena, message, strlen(message)));
    const struct buffer *answer = &delivered->answer;
    buffer_printf(text, ", '%.*s', %llu)", (int)(outcome == ERR_OK ? answer->size : 0),
        outcome == ERR_OK ? (const char *)answer->data : "",
        (unsigned long long)(outcome == ERR_OK ? delivered->clock : 0));
    buffer_add_u8(text, 0);
    arena_destroy(&arena);
}

/* To whoever is the home now. Not heard: the order is given again when its lease is over. */
static enum err
report(struct task *task, struct sagas *sagas, const struct saga_order *order, const char *text,
    struct buffer *next, struct diag *diag)
{
    struct router *router = sagas->router;
    enum err err = ERR_OK;
    bool note = order->kind == SAGA_ORDER_NOTE;
    uint32_t slot = note ? saga_note_slot(order->number) : saga_slot(order->number);
    for (int attempt = 0; attempt < REPORTS_MAX && !sagas->closing; attempt++) {
        int node = cluster_owner(router->cluster, LOG_GROUP, slot);
        err = node < 0
                  ? diag_set(diag, ERR_WRONG_BUCKET, "no node is known to be the home of a saga")
                  : at_node(task, router, (uint32_t)node, "postgres", text, take_text, next, diag);
        if (!is_elsewhere(err) && err != ERR_SHARD_LOST && err != ERR_SHARD_UNREACHABLE) {
            return err;
        }
        look_again(task, router);
    }
    return err;
}

static void
run_main(struct task *task, void *arg)
{
    struct carried *run = arg;
    struct sagas *sagas = run->sagas;
    struct diag *diag = mem_zalloc(sizeof *diag);
    struct arena arena;
    arena_create(&arena, "saga");
    while (run->order.size > 0 && !sagas->closing) {
        struct saga_order order;
        struct delivered delivered = {0};
        struct buffer text = {0};
        enum err err = read_order(&arena, &run->order, &order, diag);
        if (err == ERR_OK) {
            enum err outcome = perform(task, sagas, &order, &delivered, diag);
            run->order.size = 0;
            bool note = order.kind == SAGA_ORDER_NOTE;
            if (note && outcome != ERR_OK) {
                err = outcome; /* the note is there, and the order comes again */
            } else if (outcome != ERR_ADMIN_SHUTDOWN || !sagas->closing) {
                put_report(&text, &order, outcome, diag, &delivered);
                err = report(task, sagas, &order, (const char *)text.data, &run->order, diag);
                run->order.size = note ? 0 : run->order.size;
            }
        }
        if (err != ERR_OK) {
            world_log(sagas->router->world, "a saga waits for the next round: %s", diag->message);
            run->order.size = 0;
        }
        buffer_destroy(&text);
        buffer_destroy(&delivered.answer);
        arena_reset(&arena);
    }
    arena_destroy(&arena);
    mem_free(diag);
    buffer_destroy(&run->order);
    sagas->runs[run->node]--;
    mem_free(run);
    sagas->alive--;
}

/* ---- who asks for orders -----------------------------------------------------------------------
 */

static enum err
begin_run(
    struct task *task, struct sagas *sagas, uint32_t node, struct buffer *order, struct diag *diag)
{
    struct carried *run = mem_zalloc(sizeof *run);
    *run = (struct carried){.sagas = sagas, .node = node, .order = *order};
    *order = (struct buffer){0};
    sagas->runs[node]++;
    sagas->alive++;
    enum err err =
        task_spawn(sagas->router->world, (int)task_worker(task), "saga", run_main, run, diag);
    if (err != ERR_OK) {
        sagas->runs[node]--;
        sagas->alive--;
        buffer_destroy(&run->order);
        mem_free(run);
    }
    return err;
}

struct asker {
    struct sagas *sagas;
    uint32_t node;
};

static void
ask_main(struct task *task, void *arg)
{
    struct asker *asker = arg;
    struct sagas *sagas = asker->sagas;
    struct router *router = sagas->router;
    struct diag *diag = mem_zalloc(sizeof *diag);
    char text[64];
    struct buffer order = {0};
    (void)snprintf(text, sizeof text, "SELECT tusk_saga_take(%d)", TAKE_WAIT_MS);
    while (!sagas->closing) {
        if (router->nodes[asker->node].dropped) {
            task_sleep(task, FAILED_PAUSE_US);
            continue;
        }
        if (sagas->runs[asker->node] >= RUNS_MAX) {
            task_sleep(task, ROOM_PAUSE_US);
            continue;
        }
        enum err err =
            at_node(task, router, asker->node, "postgres", text, take_text, &order, diag);
        if (err == ERR_OK && order.size > 0) {
            err = begin_run(task, sagas, asker->node, &order, diag);
        }
        if (err != ERR_OK && !sagas->closing) {
            task_sleep(task, FAILED_PAUSE_US);
        }
    }
    buffer_destroy(&order);
    mem_free(diag);
    mem_free(asker);
    sagas->alive--;
}

/* A task for each node, on the workers by turns. */
static void
manage_main(struct task *task, void *arg)
{
    struct sagas *sagas = arg;
    struct router *router = sagas->router;
    uint32_t known = 0;
    while (!sagas->closing) {
        for (; known < router->node_count; known++) {
            struct asker *asker = mem_zalloc(sizeof *asker);
            *asker = (struct asker){.sagas = sagas, .node = known};
            struct diag diag;
            sagas->alive++;
            if (task_spawn(router->world, (int)(known % world_worker_count(router->world)),
                    "saga asker", ask_main, asker, &diag) != ERR_OK) {
                sagas->alive--;
                mem_free(asker);
                break;
            }
        }
        struct diag ignored;
        if (!sagas->closing) {
            (void)!settled_close(task, &router->workers[task_worker(task)], &ignored);
        }
        int64_t until = world_clock_us(router->world) + MANAGE_PAUSE_US;
        while (!sagas->closing && world_clock_us(router->world) < until) {
            task_sleep(task, MANAGE_PAUSE_US / 10);
        }
    }
    sagas->alive--;
}

/* ---- definitions -------------------------------------------------------------------------------
 */

struct finding {
    const char *schema, *table; /* by this name, or the step's */
    const char *const *path;
    struct arena *arena;
    const char *sharded; /* SHARD BY .. of the table; NULL: it is not */
    const char *group, *key, *type;
    bool found;
};

static enum err
find_table(void *arg, const struct sql_inspection *inspection)
{
    struct finding *finding = arg;
    const struct relation *relation =
        catalog_relation_on(inspection->catalog, finding->path, finding->schema, finding->table);
    finding->found = relation != NULL;
    if (relation != NULL && relation->sharding != NULL &&
        relation->sharding->scheme.kind != SHARD_REPLICATED) {
        const struct eval_env env = {.catalog = inspection->catalog};
        const struct column *column = &relation->columns[relation->sharding->column];
        finding->sharded = sharding_definition(finding->arena, &env, relation);
        finding->group = arena_strdup(finding->arena, relation->sharding->group);
        finding->key = parser_quote_ident(finding->arena, column->name);
        finding->type = type_format(&env, finding->arena, column->type, column->typmod);
        finding->schema = arena_strdup(finding->arena, relation->schema_name);
        finding->table = arena_strdup(finding->arena, relation->name);
    }
    return ERR_OK;
}

static enum err
find(struct task *task, struct sql_session *session, struct finding *finding, struct diag *diag)
{
    finding->path = sql_session_env(session)->search_path;
    return cluster_look(task, session, find_table, finding, diag);
}

/* Not there: the router makes it, as another change of the schema. */
static enum err
need_table(struct task *task, struct router *router, struct sql_session *session, const char *table,
    const char *text, struct diag *diag)
{
    struct finding finding = {.schema = LOG_SCHEMA, .table = table};
    struct arena arena;
    arena_create(&arena, "table");
    finding.arena = &arena;
    enum err err = find(task, session, &finding, diag);
    if (err == ERR_OK && !finding.found) {
        err = cluster_define_own(task, router, text, diag);
        err = err == ERR_DUPLICATE_TABLE ? ERR_OK : err; /* another router was faster */
    }
    arena_destroy(&arena);
    return err;
}

static const char *
log_table(struct arena *arena)
{
    struct buffer text = {0};
    buffer_add_text(&text, "CREATE TABLE " LOG_GROUP
                           " (slot int4, tusk_id bytea, tusk_value bytea, PRIMARY KEY (slot, "
                           "tusk_id)) SHARD BY RANGE (slot) (");
    for (int slot = 1; slot < SAGA_SLOTS; slot++) {
        buffer_printf(&text, "%s%d", slot == 1 ? "" : ", ", slot);
    }
    buffer_add_text(&text, ")");
    char *result = arena_strndup(arena, (const char *)text.data, text.size);
    buffer_destroy(&text);
    return result;
}

enum err
sagas_prepare(struct task *task, struct router *router, struct sql_session *session,
    const struct ast_create_saga *statement, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "saga");
    enum err err = need_table(task, router, session, LOG_TABLE, log_table(&arena), diag);
    AST_FOREACH(at, statement->steps)
    {
        const struct ast_table *table = ast_as_saga_step(*at)->table;
        struct finding finding = {.schema = table->schema, .table = table->name, .arena = &arena};
        if (err != ERR_OK) {
            break;
        }
        err = find(task, session, &finding, diag);
        if (err == ERR_OK && finding.sharded != NULL) {
            char name[32];
            saga_steps_table(finding.group, name);
            const char *words = strstr(finding.sharded, " COLOCATE WITH");
            size_t size =
                words == NULL ? strlen(finding.sharded) : (size_t)(words - finding.sharded);
            err = need_table(task, router, session, name,
                arena_printf(&arena,
                    "CREATE TABLE " LOG_SCHEMA
                    ".%s (%s %s, tusk_id bytea, tusk_value bytea, PRIMARY KEY (%s, tusk_id)) %.*s "
                    "COLOCATE WITH %s.%s",
                    name, finding.key, finding.type, finding.key, (int)size, finding.sharded,
                    parser_quote_ident(&arena, finding.schema),
                    parser_quote_ident(&arena, finding.table)),
                diag);
        }
    }
    arena_destroy(&arena);
    return err;
}

/* ---- a step stays in its bucket ----------------------------------------------------------------
 */

struct judging {
    const struct saga_check *check;
    struct diag *diag;
};

static enum err
strays(const struct judging *judging, const char *what)
{
    (void)diag_set(
        judging->diag, ERR_INVALID_OBJECT_DEFINITION, "step \"%s\" %s", judging->check->step, what);
    diag_hint(judging->diag,
        "A step's statements touch rows of one value of the shard column, the one that ON gives, "
        "of its table and of tables colocated with it; and read replicated tables.");
    return ERR_INVALID_OBJECT_DEFINITION;
}

static enum err
judge_route(const struct judging *judging, const struct route *route)
{
    const struct saga_check *check = judging->check;
    const struct sharding *sharding = check->relation->sharding;
    bool sharded = sharding != NULL && sharding->scheme.kind != SHARD_REPLICATED;
    if (route->changes_replicated) {
        return strays(judging, "changes a replicated table");
    }
    if (route->refusal != 0) {
        for (size_t i = 0; i < refusal_count; i++) {
            if (refusals[i].number == route->refusal) {
                return strays(judging,
                    route->refusal == REFUSED_KEY_UNKNOWN
                        ? "makes rows whose shard column is not given by the step's key"
                    : route->refusal == REFUSED_KEY_CHANGE ? "changes a row's shard column"
                                                           : "has a statement that is not routed");
            }
        }
    }
    if (route->spread || (sharded && route->home) || (!sharded && route->key_count > 0)) {
        return strays(judging, "touches rows that may be on another node");
    }
    for (uint32_t i = 0; i < route->key_count; i++) {
        const struct route_key *key = &route->keys[i];
        if (strcmp(key->group, sharding->group) != 0 || key->value_count != 1 ||
            !key->values[0].is_param || (int32_t)key->values[0].param != check->key_param) {
            return strays(judging, "touches rows that may be on another node");
        }
    }
    return ERR_OK;
}

static enum err
judge_statement(void *arg, const struct sql_inspection *inspection)
{
    const struct judging *judging = arg;
    struct route *route = route_new();
    enum err err = route_look(route, inspection);
    if (err == ERR_OK) {
        err = judge_route(judging, route);
    }
    route_delete(route);
    return err;
}

static enum err
check_body(struct task *task, struct sql_session *session, struct sql_body *body,
    const struct saga_check *check, struct diag *diag)
{
    struct judging judging = {.check = check, .diag = diag};
    const struct sharding *sharding = check->relation == NULL ? NULL : check->relation->sharding;
    if (check->relation == NULL) {
        return ERR_OK;
    }
    if (sharding != NULL && sharding->scheme.kind == SHARD_REPLICATED) {
        return strays(&judging, "is on a replicated table, which is on every node");
    }
    if (sharding != NULL && check->key_param < 0) {
        return strays(&judging, "must give the table's shard column as one of the saga's "
                                "parameters: ON table (column => parameter)");
    }
    return sql_body_inspect(task, session, body, judge_statement, &judging, diag);
}

/* ---- routes of statements ----------------------------------------------------------------------
 */

struct routing {
    struct route *route;
    uint32_t slot;
    bool found;
};

static enum err
route_slot(void *arg, const struct sql_inspection *inspection)
{
    struct routing *routing = arg;
    const struct relation *relation = catalog_relation(inspection->catalog, LOG_SCHEMA, LOG_TABLE);
    routing->found = relation != NULL;
    if (routing->found) {
        route_add_constant(routing->route, inspection, relation, datum_int(routing->slot));
    }
    return ERR_OK;
}

enum err
sagas_route(struct task *task, struct sql_session *session, const struct ast_node *body,
    const char *text, struct route *route, struct diag *diag)
{
    struct routing routing = {.route = route};
    route->tables = true;
    route->writes = true;
    if (body->kind == AST_START_SAGA) {
        const char *key = ast_as_start_saga(body)->key;
        const char *role = sql_session_env(session)->user;
        routing.slot = key == NULL ? saga_slot_of_key(role, text) : saga_slot_of_key(role, key);
    } else {
        routing.slot = saga_slot((uint64_t)ast_as_alter_saga(body)->number);
    }
    TRY(cluster_look(task, session, route_slot, &routing, diag));
    return routing.found
               ? ERR_OK
               : diag_set(diag, ERR_UNDEFINED_OBJECT, "there are no sagas yet: CREATE SAGA first");
}

/* ---- views -------------------------------------------------------------------------------------
 */

typedef enum err emit_row(void *arg, const struct datum *values);

/* A process is one router. */
static struct router *shown;

struct merging {
    struct eval *eval;
    const struct relation *relation;
    struct datum *values;
    emit_row *emit;
    void *arg;
};

static enum err
merge_row(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    struct merging *merging = arg;
    const struct relation *relation = merging->relation;
    if (count != relation->column_count) {
        return diag_set(diag, ERR_PROTOCOL, "a shard sent a row of another width");
    }
    for (uint32_t i = 0; i < count; i++) {
        merging->values[i] = datum_null();
        if (values[i].data != NULL) {
            TRY(type_input(
                merging->eval, relation->columns[i].type, -1, values[i], &merging->values[i]));
        }
    }
    return merging->emit(merging->arg, merging->values);
}

/* As the client's role sees it, at each node. */
static enum err
merge_at(struct router *router, uint32_t node, const char *view, struct merging *merging)
{
    struct eval *eval = merging->eval;
    struct upstream *upstream = NULL;
    const char *text = arena_printf(eval->arena,
        "BEGIN READ ONLY; SET LOCAL ROLE %s; SELECT * FROM pg_catalog.%s; COMMIT",
        parser_quote_ident(eval->arena, eval->env->user), view);
    TRY(cluster_connect(eval->task, router, node, &upstream, eval->diag));
    enum err err = node_query(eval->task, upstream, text, merge_row, merging, eval->diag);
    if (err != ERR_OK && upstream->status != 'I') {
        upstream->broken = true;
    }
    pool_release(eval->task, upstream);
    return err;
}

static enum err
merge(struct eval *eval, const struct catalog *catalog, const char *view, emit_row *emit, void *arg)
{
    struct router *router = shown;
    struct merging merging = {.eval = eval, .emit = emit, .arg = arg};
    merging.relation = catalog_relation(catalog, "pg_catalog", view);
    if (merging.relation == NULL || router->cluster == NULL) {
        return ERR_OK;
    }
    merging.values =
        arena_array(eval->arena, merging.relation->column_count, sizeof *merging.values);
    for (uint32_t node = 0; node < router->node_count; node++) {
        if (!router->nodes[node].dropped) {
            TRY(merge_at(router, node, view, &merging));
        }
    }
    return ERR_OK;
}

static enum err
scan_sagas(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    return merge(eval, catalog, "tusk_sagas", emit, arg);
}

static enum err
scan_steps(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    return merge(eval, catalog, "tusk_saga_steps", emit, arg);
}

static enum err
scan_keys(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    return merge(eval, catalog, "tusk_idempotency_keys", emit, arg);
}

/* ---- beginning and end -------------------------------------------------------------------------
 */

enum err
sagas_open(struct task *task, struct router *router, struct diag *diag)
{
    struct sagas *sagas = mem_zalloc(sizeof *sagas);
    sagas->router = router;
    router->sagas = sagas;
    shown = router;
    saga_set_body_check(check_body);
    catalog_set_virtual_scan("tusk_sagas", scan_sagas);
    catalog_set_virtual_scan("tusk_saga_steps", scan_steps);
    catalog_set_virtual_scan("tusk_idempotency_keys", scan_keys);
    sagas->alive = 1;
    enum err err =
        task_spawn(router->world, (int)task_worker(task), "saga manager", manage_main, sagas, diag);
    sagas->alive -= err != ERR_OK;
    return err;
}

void
sagas_close(struct task *task, struct router *router)
{
    struct sagas *sagas = router->sagas;
    if (sagas == NULL) {
        return;
    }
    sagas->closing = true;
    while (sagas->alive > 0) {
        task_park(task, world_clock_us(router->world) + STOP_PAUSE_US);
    }
    router->sagas = NULL;
    mem_free(sagas);
}
