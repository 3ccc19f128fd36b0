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
#include "router/router.h"

static uint64_t
hash_of(const char *text, size_t size, struct slice types)
{
    uint64_t hash = hash64(text, size, 0);
    return types.size == 0 ? hash : hash64(types.data, types.size, hash);
}

static struct statement *
find(struct worker *worker, uint64_t hash, const char *text, size_t size, struct slice types)
{
    for (struct statement *at = worker->statements[hash % STATEMENT_BUCKETS]; at != NULL;
         at = at->chain) {
        if (at->hash == hash && at->text_size == size && memcmp(at->text, text, size) == 0 &&
            slice_equal(at->types, types)) {
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

struct statement *
statement_find(struct worker *worker, const char *text, size_t size, struct slice types)
{
    struct statement *statement = find(worker, hash_of(text, size, types), text, size, types);
    if (statement != NULL) {
        hold(statement);
    }
    return statement;
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

/* What stays at the shard behind the transaction would be met by the next client there. */
static bool
leaves_state(const struct ast_node *body, const char *text, size_t size)
{
    switch ((enum ast_kind)body->kind) {
    case AST_NOTIFY:
        return ast_as_notify(body)->kind != AST_NOTIFY_NOTIFY;
    case AST_CREATE_TABLE:
        return ast_as_create_table(body)->persistence == AST_TEMPORARY;
    case AST_CREATE_TABLE_AS:
        return ast_as_create_table_as(body)->persistence == AST_TEMPORARY;
    case AST_DECLARE_CURSOR:
        return ast_as_declare_cursor(body)->hold;
    case AST_SELECT:
        return mentions(text, size, "pg_advisory_lock") ||
               mentions(text, size, "pg_try_advisory_lock") ||
               mentions(text, size, "pg_advisory_unlock");
    default:
        return false;
    }
}

static void
classify(struct statement *statement, const struct ast_node *body)
{
    statement->node = (enum ast_kind)body->kind;
    statement->kind = ROUTE_NODE;
    if (leaves_state(body, statement->text, statement->text_size)) {
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
    case AST_DISCARD:
        statement->kind = ROUTE_LOCAL;
        break;
    case AST_DEALLOCATE:
        if (ast_as_deallocate(body)->name == NULL) {
            statement->kind = ROUTE_LOCAL;
            break;
        }
        __attribute__((fallthrough));
    case AST_PREPARE:
    case AST_EXECUTE:
        statement->kind = ROUTE_REFUSED;
        statement->refusal = REFUSED_PREPARE;
        break;
    case AST_SELECT: {
        const struct ast_select *select = ast_as_select(body);
        statement->reads = select->locking == NULL && select->with.ctes == NULL;
        if (select->from == NULL && mentions(statement->text, statement->text_size, "set_config")) {
            statement->kind = ROUTE_SET;
        }
        break;
    }
    default:
        break;
    }
}

static void
analyse(struct worker *worker, struct statement *statement)
{
    struct ast_list *list = NULL;
    struct diag diag;
    statement->node = AST_KIND_COUNT;
    statement->kind = ROUTE_NODE; /* of what is not understood the shard says why */
    if (parser_parse(&worker->arena, statement->text, statement->text_size, &list, &diag) !=
        ERR_OK) {
        return;
    }
    if (ast_list_count(list) == 0) {
        statement->kind = ROUTE_LOCAL;
    } else if (ast_list_count(list) == 1) {
        classify(statement, ast_as_statement(ast_list_at(list, 0))->body);
    } else {
        /* All to the shard, or all to the session; what changes the block or settings would have
         * to be done by both, statement by statement. */
        struct statement one = *statement;
        enum route_kind kinds[2] = {ROUTE_NODE, ROUTE_NODE};
        for (uint32_t i = 0; i < ast_list_count(list); i++) {
            classify(&one, ast_as_statement(ast_list_at(list, i))->body);
            bool local = one.kind == ROUTE_TRANSACTION || one.kind == ROUTE_SET;
            kinds[i > 0] = local ? ROUTE_SET : one.kind;
            if (one.kind == ROUTE_REFUSED || (i > 0 && kinds[0] != kinds[1])) {
                statement->kind = ROUTE_REFUSED;
                statement->refusal = one.kind == ROUTE_REFUSED ? one.refusal : REFUSED_SEVERAL;
                return;
            }
        }
        statement->kind = kinds[0];
    }
}

enum err
statement_get(struct task *task, struct worker *worker, const char *text, size_t size,
    struct slice types, struct statement **out, struct diag *diag)
{
    (void)task;
    (void)diag;
    struct statement *statement = mem_zalloc(sizeof *statement);
    statement->hash = hash_of(text, size, types);
    statement->references = 1;
    statement->id = ++worker->next_statement;
    statement->text = mem_alloc(size + 1);
    memcpy(statement->text, text, size);
    statement->text[size] = '\0';
    statement->text_size = (uint32_t)size;
    if (types.size > 0) {
        uint8_t *copy = mem_alloc(types.size);
        memcpy(copy, types.data, types.size);
        statement->types = slice_of(copy, types.size);
    }
    analyse(worker, statement);
    arena_reset(&worker->arena);
    struct statement **chain = &worker->statements[statement->hash % STATEMENT_BUCKETS];
    statement->chain = *chain;
    *chain = statement;
    worker->statement_count++;
    *out = statement;
    return ERR_OK;
}
