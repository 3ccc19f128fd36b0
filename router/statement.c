/*
 * router/statement.c - texts that were seen: what they are and where they go.
 *
 * A worker keeps each text (and parameter types) once, with the number by which the shards know it
 * as a prepared statement. Those that no client holds are kept too, the last used ones, so that a
 * simple query that comes again costs a look into a table.
 */
#include <strings.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "router/router.h"
#include "saga/saga.h"

static uint64_t
hash_of(const struct statement_key *key)
{
    uint64_t hash = hash64(key->text, key->size, 0);
    hash = key->types.size == 0 ? hash : hash64(key->types.data, key->types.size, hash);
    return key->path[0] == '\0' ? hash : hash64(key->path, strlen(key->path), hash);
}

static struct statement *
find(struct worker *worker, uint64_t hash, const struct statement_key *key)
{
    for (struct statement *at = worker->statements[hash % STATEMENT_BUCKETS]; at != NULL;
         at = at->chain) {
        if (at->hash == hash && at->text_size == key->size &&
            memcmp(at->text, key->text, key->size) == 0 && slice_equal(at->types, key->types) &&
            strcmp(at->path, key->path) == 0) {
            return at;
        }
    }
    return NULL;
}

static void
hold(struct statement *statement)
{
    if (statement->references++ == 0) {
        list_remove(&statement->age);
    }
}

/* What was found out about it holds no more. It stays where its clients have it. */
static bool
is_old(const struct worker *worker, const struct statement *statement)
{
    return worker->router->cluster != NULL &&
           statement->schema_version != cluster_schema_version(worker->router->cluster);
}

struct statement *
statement_find(struct worker *worker, const struct statement_key *key)
{
    struct statement *statement = find(worker, hash_of(key), key);
    if (statement == NULL || statement->retired || is_old(worker, statement)) {
        return NULL;
    }
    hold(statement);
    return statement;
}

bool
statement_is_old(const struct worker *worker, const struct statement *statement)
{
    return is_old(worker, statement);
}

static void
forget(struct worker *worker, struct statement *statement)
{
    struct statement **at = &worker->statements[statement->hash % STATEMENT_BUCKETS];
    while (*at != statement) {
        at = &(*at)->chain;
    }
    *at = statement->chain;
    worker->statement_count--;
    route_delete(statement->route);
    mem_free(statement->cursor);
    mem_free(statement->path);
    mem_free(statement->text);
    mem_free((void *)(uintptr_t)statement->types.data);
    mem_free(statement);
}

void
statement_release(struct worker *worker, struct statement *statement)
{
    ASSERT(statement->references > 0);
    if (--statement->references > 0) {
        return;
    }
    list_push_back(&worker->ages, &statement->age);
    if (worker->statement_count > STATEMENTS_MAX) {
        struct list_node *oldest = list_pop_front(&worker->ages);
        forget(worker, LIST_ENTRY(oldest, struct statement, age));
    }
}

void
statements_destroy(struct worker *worker)
{
    for (struct list_node *node = list_pop_front(&worker->ages); node != NULL;
         node = list_pop_front(&worker->ages)) {
        forget(worker, LIST_ENTRY(node, struct statement, age));
    }
    ASSERT(worker->statement_count == 0);
}

/* ---- what it is -------------------------------------------------------------------------------
 */

static bool
mentions(const char *text, size_t size, const char *word)
{
    size_t word_size = strlen(word);
    for (size_t i = 0; i + word_size <= size; i++) {
        if (strncasecmp(text + i, word, word_size) == 0) {
            return true;
        }
    }
    return false;
}

bool
statement_has_sequences(const char *text, size_t size)
{
    return mentions(text, size, "nextval") || mentions(text, size, "setval") ||
           mentions(text, size, "currval") || mentions(text, size, "lastval");
}

/* Of numbers that have been given, which this client's next shard need not know. */
static bool
asks_for_numbers(const struct statement *statement)
{
    static const char *const words[] = {"setval", "currval", "lastval"};
    bool asks = false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        asks = asks || mentions(statement->text, statement->text_size, words[i]);
    }
    return asks;
}

/* Names a function of a session's advisory locks. Of several nodes' statements route.c knows. */
static bool
locks_session(const struct statement *statement)
{
    static const char *const names[] = {
        "pg_advisory_lock", "pg_try_advisory_lock", "pg_advisory_unlock"};
    struct scanner scanner;
    struct scan_token token = {.kind = SCAN_ILLEGAL};
    if (statement->worker->router->cluster != NULL ||
        !mentions(statement->text, statement->text_size, "advisory_")) {
        return false;
    }
    scanner_create(&scanner, statement->text, statement->text_size);
    while (token.kind != SCAN_END && token.kind != SCAN_ERROR) {
        scanner_next(&scanner, &token);
        if (token.kind != SCAN_WORD && token.kind != SCAN_QUOTED_IDENT) {
            continue;
        }
        const char *word = scanner_decode_ident(&scanner, &token, statement->arena);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (strncmp(word, names[i], strlen(names[i])) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* What stays at the shard behind the transaction would be met by the next client there. */
static bool
leaves_state(const struct statement *statement, const struct ast_node *body)
{
    switch ((enum ast_kind)body->kind) {
    case AST_CREATE_TABLE:
        return ast_as_create_table(body)->persistence == AST_TEMPORARY;
    case AST_CREATE_TABLE_AS:
        return ast_as_create_table_as(body)->persistence == AST_TEMPORARY;
    case AST_CREATE_VIEW:
        return ast_as_create_view(body)->persistence == AST_TEMPORARY;
    case AST_CREATE_SEQUENCE:
        return ast_as_create_sequence(body)->persistence == AST_TEMPORARY;
    case AST_DECLARE_CURSOR:
        return ast_as_declare_cursor(body)->hold || locks_session(statement);
    case AST_SELECT:
    case AST_INSERT:
    case AST_UPDATE:
    case AST_DELETE:
    case AST_COPY:
    case AST_EXPLAIN:
        return locks_session(statement);
    default:
        return false;
    }
}

static void
classify(struct statement *statement, const struct ast_node *body)
{
    statement->node = (enum ast_kind)body->kind;
    statement->kind = ROUTE_NODE;
    if (leaves_state(statement, body)) {
        statement->kind = ROUTE_REFUSED;
        statement->refusal = REFUSED_SESSION_STATE;
        return;
    }
    switch (statement->node) {
    case AST_TRANSACTION:
        statement->kind = ROUTE_TRANSACTION;
        break;
    case AST_SET:
    case AST_SET_TRANSACTION:
        statement->kind = ROUTE_SET;
        break;
    case AST_SHOW:
        statement->kind = ROUTE_LOCAL;
        break;
    case AST_NOTIFY:
        statement->kind = ast_as_notify(body)->kind != AST_NOTIFY_NOTIFY ? ROUTE_LOCAL
                          : statement->worker->router->cluster != NULL   ? ROUTE_NOTIFY
                                                                         : ROUTE_NODE;
        break;
    case AST_DISCARD:
        statement->kind = ROUTE_LOCAL;
        statement->forgets = ast_as_discard_statement(body)->what == AST_DISCARD_ALL;
        break;
    case AST_DEALLOCATE:
        statement->kind = ast_as_deallocate(body)->name == NULL ? ROUTE_LOCAL : ROUTE_PREPARED;
        break;
    case AST_PREPARE:
    case AST_EXECUTE:
        statement->kind = ROUTE_PREPARED;
        break;
    case AST_EXPLAIN:
        if (ast_as_explain(body)->statement->kind == AST_EXECUTE) {
            statement->kind = ROUTE_PREPARED;
        }
        break;
    case AST_SELECT: {
        const struct ast_select *select = ast_as_select(body);
        statement->reads = select->locking == NULL && select->with.ctes == NULL;
        statement->shows_prepared =
            mentions(statement->text, statement->text_size, "pg_prepared_statements");
        if (mentions(statement->text, statement->text_size, "tusk_router_") ||
            statement->shows_prepared ||
            mentions(statement->text, statement->text_size, "pg_listening_channels") ||
            (statement->worker->router->cluster != NULL &&
                (mentions(statement->text, statement->text_size, "tusk_nodes") ||
                    mentions(statement->text, statement->text_size, "tusk_moves")))) {
            statement->kind = ROUTE_LOCAL;
        }
        if (select->from == NULL && mentions(statement->text, statement->text_size, "set_config")) {
            statement->kind = ROUTE_SET;
        }
        break;
    }
    default:
        break;
    }
}

/* ---- of one node -------------------------------------------------------------------------------
 */

typedef enum err classifier(struct task *task, struct sql_session *session,
    struct statement *statement, const struct ast_statement *ast, struct diag *diag);

static enum err
classify_for_one(struct task *task, struct sql_session *session, struct statement *statement,
    const struct ast_statement *ast, struct diag *diag)
{
    (void)task;
    (void)session;
    (void)diag;
    classify(statement, ast->body);
    return ERR_OK;
}

/* ---- of several --------------------------------------------------------------------------------
 */

static oid_t *
types_of(struct arena *arena, struct slice types)
{
    size_t count = types.size / 4;
    oid_t *list = arena_array(arena, count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = load_be32(types.data + 4 * i);
    }
    return list;
}

static enum err
inspect(struct task *task, struct sql_session *session, struct statement *statement,
    const struct ast_node *body, uint32_t param_max, struct diag *diag)
{
    statement->route = route_new();
    oid_t *types = types_of(statement->arena, statement->types);
    TRY(sql_session_inspect(task, session, body, statement->text, types,
        (uint32_t)(statement->types.size / 4), param_max, route_look, statement->route, diag));
    const struct route *route = statement->route;
    bool reads = body->kind == AST_SELECT && !route->writes;
    statement->reads = reads;
    if (route->refusal != 0) {
        statement->kind = ROUTE_REFUSED;
        statement->refusal = route->refusal;
    } else if (!route->tables || (reads && route->spread)) {
        bool numbers = mentions(statement->text, statement->text_size, "nextval");
        statement->kind = numbers ? ROUTE_BOUND : ROUTE_LOCAL; /* nextval alone: any node's */
        if ((numbers && route->spread) || asks_for_numbers(statement)) {
            statement->kind = ROUTE_REFUSED;
            statement->refusal = REFUSED_LOCAL_SEQUENCE;
        }
    } else if (route->spread) {
        statement->kind = ROUTE_REFUSED;
        statement->refusal = route->changes_replicated ? REFUSED_REPLICATED : REFUSED_WRITE;
    } else {
        statement->kind = ROUTE_BOUND;
    }
    return ERR_OK;
}

/* Of COPY table: as if by TABLE table. */
static enum err
inspect_table(struct task *task, struct sql_session *session, struct statement *statement,
    const struct ast_copy *copy, struct diag *diag)
{
    struct arena *arena = statement->arena;
    struct ast_list *list = NULL;
    const char *text = arena_printf(arena, "TABLE %s%s%s",
        copy->table->schema == NULL ? "" : parser_quote_ident(arena, copy->table->schema),
        copy->table->schema == NULL ? "" : ".", parser_quote_ident(arena, copy->table->name));
    TRY(parser_parse(arena, text, strlen(text), &list, diag));
    statement->route = route_new();
    enum err err = sql_session_inspect(task, session, ast_as_statement(ast_list_at(list, 0))->body,
        text, NULL, 0, 0, route_look, statement->route, diag);
    if (err != ERR_OK) {
        diag_position(diag, 0); /* it is one in our words */
        return err;
    }
    statement->kind = ROUTE_BOUND;
    if (statement->route->spread || (copy->from && !statement->route->home)) {
        statement->kind = ROUTE_LOCAL;
        statement->loads = copy->from;
    }
    return ERR_OK;
}

/* Makes, changes or drops one. */
static bool
is_of_database(const struct ast_node *body)
{
    return body->kind == AST_CREATE_DATABASE || body->kind == AST_ALTER_DATABASE ||
           (body->kind == AST_DROP && ast_as_drop(body)->object == AST_OBJECT_DATABASE) ||
           (body->kind == AST_RENAME && ast_as_rename(body)->object == AST_OBJECT_DATABASE);
}

static enum err
classify_for_several(struct task *task, struct sql_session *session, struct statement *statement,
    const struct ast_statement *ast, struct diag *diag)
{
    const struct ast_node *body = ast->body;
    classify(statement, body);
    if (statement->kind != ROUTE_NODE) {
        return ERR_OK;
    }
    if (is_of_database(body)) {
        statement->kind = ROUTE_REFUSED;
        statement->refusal = REFUSED_DATABASE;
        return ERR_OK;
    }
    switch (statement->node) {
    case AST_SELECT:
    case AST_INSERT:
    case AST_UPDATE:
    case AST_DELETE:
        return inspect(task, session, statement, body, ast->param_max, diag);
    case AST_EXPLAIN: {
        const struct ast_node *inner = ast_as_explain(body)->statement;
        if (inner->kind != AST_SELECT && inner->kind != AST_INSERT && inner->kind != AST_UPDATE &&
            inner->kind != AST_DELETE) {
            break;
        }
        TRY(inspect(task, session, statement, inner, ast->param_max, diag));
        statement->kind = statement->kind == ROUTE_BOUND ? ROUTE_EXPLAIN : statement->kind;
        return ERR_OK;
    }
    case AST_COPY: {
        const struct ast_copy *copy = ast_as_copy(body);
        return copy->query != NULL
                   ? inspect(task, session, statement, copy->query, ast->param_max, diag)
                   : inspect_table(task, session, statement, copy, diag);
    }
    case AST_START_SAGA:
    case AST_ALTER_SAGA:
        statement->kind = ROUTE_BOUND;
        statement->reads =
            statement->node == AST_START_SAGA && saga_start_repeats(ast_as_start_saga(body));
        statement->route = route_new();
        return sagas_route(task, session, body, statement->text, statement->route, diag);
    case AST_DECLARE_CURSOR: {
        const struct ast_select *query = ast_as_declare_cursor(body)->query;
        return inspect(task, session, statement, &query->node, ast->param_max, diag);
    }
    case AST_FETCH:
        statement->kind = ROUTE_CURSOR;
        statement->cursor = mem_strdup(ast_as_fetch(body)->name);
        return ERR_OK;
    case AST_CLOSE_CURSOR: {
        const char *name = ast_as_close_cursor(body)->name;
        statement->kind = name == NULL ? ROUTE_TRANSACTION : ROUTE_CURSOR;
        statement->cursor = name == NULL ? NULL : mem_strdup(name);
        return ERR_OK;
    }
    case AST_SET_CONSTRAINTS:
        statement->kind = ROUTE_TRANSACTION;
        return ERR_OK;
    case AST_VACUUM:
    case AST_CHECKPOINT:
        statement->kind = ROUTE_LOCAL;
        return ERR_OK;
    case AST_CREATE_TABLE:
    case AST_CREATE_INDEX:
    case AST_CREATE_VIEW:
    case AST_CREATE_SCHEMA:
    case AST_CREATE_SEQUENCE:
    case AST_CREATE_ROLE:
    case AST_CREATE_ENUM:
    case AST_ALTER_ENUM:
    case AST_CREATE_DOMAIN:
    case AST_DROP:
    case AST_ALTER_TABLE:
    case AST_ALTER_CLUSTER:
    case AST_ALTER_ROLE:
    case AST_RENAME:
    case AST_TRUNCATE:
    case AST_COMMENT:
    case AST_GRANT:
    case AST_CREATE_SAGA:
    case AST_DROP_SAGA:
        statement->kind = ROUTE_SCHEMA;
        return ERR_OK;
    case AST_CREATE_TABLE_AS:
        statement->kind = ROUTE_REFUSED;
        statement->refusal = REFUSED_CREATE_AS;
        return ERR_OK;
    default:
        break;
    }
    statement->kind = ROUTE_REFUSED;
    statement->refusal = REFUSED_STATEMENT;
    return ERR_OK;
}

/* ---- texts -------------------------------------------------------------------------------------
 */

/* Nothing of it concerns a shard: between transactions a client has nothing there. */
static bool
is_reset(const struct ast_node *body, const char *text, size_t size)
{
    switch ((enum ast_kind)body->kind) {
    case AST_CLOSE_CURSOR:
        return ast_as_close_cursor(body)->name == NULL;
    case AST_NOTIFY:
        return ast_as_notify(body)->kind == AST_NOTIFY_UNLISTEN;
    case AST_SET:
        return ast_as_set(body)->kind == AST_SET_RESET_ALL;
    case AST_SELECT: /* there are no such locks */
        return ast_as_select(body)->from == NULL &&
               mentions(text, size, "pg_advisory_unlock_all") &&
               !mentions(text, size, "advisory_lock");
    default:
        return false;
    }
}

static bool
all_reset(const struct statement *statement, const struct ast_list *list)
{
    bool all = true;
    for (uint32_t i = 0; i < ast_list_count(list) && all; i++) {
        all = is_reset(
            ast_as_statement(ast_list_at(list, i))->body, statement->text, statement->text_size);
    }
    return all;
}

/* Definitions are one change, as they are one implicit transaction on one server. */
static bool
is_plain_definition(const struct ast_node *body)
{
    return body->kind != AST_ALTER_CLUSTER && body->kind != AST_CREATE_SAGA &&
           !cluster_is_move(body);
}

/* All of a string go the same way: to the shard, or to the session. What changes the block or
 * settings would have to be done by both, statement by statement. */
static enum err
classify_string(struct task *task, struct sql_session *session, struct statement *statement,
    const struct ast_list *list, classifier *one, struct diag *diag)
{
    enum route_kind kind = ROUTE_LOCAL;
    int refusal = 0;
    if (all_reset(statement, list)) {
        statement->kind = ROUTE_LOCAL;
        statement->resets = true;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < ast_list_count(list); i++) {
        const struct ast_node *body = ast_as_statement(ast_list_at(list, i))->body;
        struct statement part = *statement;
        enum err err = one(task, session, &part, ast_as_statement(ast_list_at(list, i)), diag);
        route_delete(part.route);
        mem_free(part.cursor);
        if (err != ERR_OK && kind == ROUTE_SCHEMA) { /* it may be about what was just defined */
            refusal = REFUSED_SEVERAL;
            break;
        }
        TRY(err);
        part.kind = part.kind == ROUTE_TRANSACTION ? ROUTE_SET : part.kind;
        bool whole = part.kind == ROUTE_NODE || part.kind == ROUTE_SET ||
                     part.kind == ROUTE_LOCAL ||
                     (part.kind == ROUTE_SCHEMA && is_plain_definition(body));
        if (part.kind == ROUTE_REFUSED) {
            refusal = part.refusal;
        } else if ((i > 0 && part.kind != kind) || !whole) {
            refusal = REFUSED_SEVERAL;
        }
        kind = part.kind;
    }
    statement->kind = refusal != 0 ? ROUTE_REFUSED : kind;
    statement->refusal = refusal;
    return ERR_OK;
}

static enum err
analyse(struct task *task, struct worker *worker, struct sql_session *session,
    struct statement *statement, struct diag *diag)
{
    bool several = worker->router->cluster != NULL;
    classifier *one = several ? classify_for_several : classify_for_one;
    struct ast_list *list = NULL;
    statement->node = AST_KIND_COUNT;
    statement->kind = ROUTE_NODE;
    enum err err =
        parser_parse(statement->arena, statement->text, statement->text_size, &list, diag);
    if (err != ERR_OK) {
        /* One node says itself what is wrong. */
        return several ? err : ERR_OK;
    }
    if (ast_list_count(list) == 0) {
        statement->kind = ROUTE_LOCAL;
        return ERR_OK;
    }
    return ast_list_count(list) == 1
               ? one(task, session, statement, ast_as_statement(ast_list_at(list, 0)), diag)
               : classify_string(task, session, statement, list, one, diag);
}

enum err
statement_get(struct task *task, struct worker *worker, struct sql_session *session,
    const struct statement_key *key, struct statement **out, struct diag *diag)
{
    struct statement *statement = mem_zalloc(sizeof *statement);
    statement->worker = worker;
    statement->hash = hash_of(key);
    statement->references = 1;
    statement->text = mem_alloc(key->size + 1);
    memcpy(statement->text, key->text, key->size);
    statement->text[key->size] = '\0';
    statement->text_size = (uint32_t)key->size;
    statement->path = mem_strdup(key->path);
    if (key->types.size > 0) {
        uint8_t *copy = mem_alloc(key->types.size);
        memcpy(copy, key->types.data, key->types.size);
        statement->types = slice_of(copy, key->types.size);
    }
    if (worker->router->cluster != NULL) {
        statement->schema_version = cluster_schema_version(worker->router->cluster);
    }
    struct arena arena;
    arena_create(&arena, "statement");
    statement->arena = &arena;
    enum err err = analyse(task, worker, session, statement, diag);
    statement->arena = NULL;
    arena_destroy(&arena);
    statement->id = ++worker->next_statement;
    worker->statement_count++;
    struct statement **chain = &worker->statements[statement->hash % STATEMENT_BUCKETS];
    statement->chain = *chain;
    *chain = statement;
    if (err != ERR_OK) {
        forget(worker, statement);
        return err;
    }
    *out = statement;
    return ERR_OK;
}
