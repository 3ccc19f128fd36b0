/*
 * router/numbers.c - sequences over several nodes: each node gives numbers of its own.
 *
 *   SQ1. A sequence's numbers (from START on by INCREMENT up to its limit) are cut into blocks of
 *        equal size, which depends on the definition alone; no two nodes ever have the same block.
 *        A block's end is a whole number of increments from the next one's beginning, so that who
 *        takes several numbers at once (INCREMENT 50) meets nobody else's.
 *   SQ2. Blocks 0 to node_count - 1 come with the definition; the first node counts the rest, in
 *        the row of the sequence's own number there: a new name is no new sequence.
 *   SQ3. Behind the limit there is no block: 2200H, as on one node. With CYCLE a node goes through
 *        its block again.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "parser/parser.h"
#include "router/router.h"
#include "sql/catalog/catalog.h"

enum {
    BLOCK_MOST = 1 << 20,
    BLOCKS_LEAST = 32, /* where limits are near, blocks are small */
};

struct block {
    int64_t first, last;
    bool empty; /* behind the limit */
};

/* SQ1 */
static struct block
block_of(const struct sequence *sequence, uint64_t number)
{
    bool up = sequence->increment > 0;
    int64_t limit = up ? sequence->maximum : sequence->minimum;
    uint64_t step =
        up ? (uint64_t)sequence->increment : (uint64_t)0 - (uint64_t)sequence->increment;
    /* How many come behind the first. */
    uint64_t room = up ? (uint64_t)limit - (uint64_t)sequence->start
                       : (uint64_t)sequence->start - (uint64_t)limit;
    room /= step;
    uint64_t count = BLOCK_MOST;
    while (count > 2 && count > room / BLOCKS_LEAST) {
        count /= 2;
    }
    if (number > room / count) {
        return (struct block){.first = limit, .last = limit, .empty = true};
    }
    uint64_t first = number * count * step;
    uint64_t last = room - number * count < count ? room * step : first + (count - 1) * step;
    struct block block;
    block.first =
        (int64_t)(up ? (uint64_t)sequence->start + first : (uint64_t)sequence->start - first);
    block.last =
        (int64_t)(up ? (uint64_t)sequence->start + last : (uint64_t)sequence->start - last);
    block.empty = false;
    return block;
}

static void
put_block(const struct relation *relation, uint64_t number, bool *empty, struct buffer *to)
{
    struct arena arena;
    arena_create(&arena, "block");
    struct block block = block_of(relation->sequence, number);
    int64_t low = block.first < block.last ? block.first : block.last;
    int64_t high = block.first < block.last ? block.last : block.first;
    if (low == high) { /* they must differ */
        low -= low > relation->sequence->minimum;
        high += low == high;
    }
    const char *name =
        arena_printf(&arena, "%s.%s", parser_quote_ident(&arena, relation->schema_name),
            parser_quote_ident(&arena, relation->name));
    buffer_printf(to, "ALTER SEQUENCE %s MINVALUE %lld MAXVALUE %lld START %lld RESTART", name,
        (long long)low, (long long)high, (long long)block.first);
    if (block.empty) {
        buffer_printf(to, "; SELECT pg_catalog.setval(%s, %lld)",
            parser_quote_literal(&arena, name, strlen(name)), (long long)block.last);
    }
    *empty = block.empty;
    arena_destroy(&arena);
}

void
numbers_put_first_blocks(
    const struct router *router, const struct relation *sequence, struct buffer *to)
{
    for (uint32_t node = 0; node < router->node_count; node++) {
        bool empty = false;
        buffer_printf(to, "%u ", node);
        put_block(sequence, node, &empty, to);
        buffer_add_u8(to, '\n');
    }
}

struct search {
    const char *schema, *name;
    uint64_t block;
    bool empty;
    struct buffer *text;
};

static enum err
put_found(void *arg, const struct sql_inspection *inspection)
{
    struct search *search = arg;
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(inspection->catalog, i)) != NULL; i++) {
        if (relation->kind == RELATION_SEQUENCE && strcmp(relation->name, search->name) == 0 &&
            strcmp(relation->schema_name, search->schema) == 0) {
            put_block(relation, search->block, &search->empty, search->text);
        }
    }
    return ERR_OK;
}

/* *empty: there are no more. */
static enum err
give_block(struct task *task, struct router *router, struct upstream *upstream, const char *schema,
    const char *name, bool *empty, struct diag *diag)
{
    struct arena arena;
    int64_t block = -1;
    arena_create(&arena, "block");
    const char *counts = arena_printf(&arena,
        "INSERT INTO tusk_cluster.blocks SELECT c.oid::text, %u FROM pg_catalog.pg_class c JOIN "
        "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = "
        "%s ON CONFLICT (name) DO UPDATE SET last = blocks.last + 1 RETURNING last",
        router->node_count, parser_quote_literal(&arena, schema, strlen(schema)),
        parser_quote_literal(&arena, name, strlen(name)));
    enum err err = cluster_at_node(task, router, 0, counts, cluster_read_number, &block, diag);
    arena_destroy(&arena);
    TRY(err);
    struct buffer text = {0};
    struct search search = {
        .schema = schema, .name = name, .block = (uint64_t)block, .text = &text};
    if (block >= 0) {
        err = cluster_look_here(task, router, put_found, &search, diag);
    }
    if (err == ERR_OK && text.size == 0) { /* it has been dropped or renamed meanwhile */
        err = diag_set(diag, ERR_UNDEFINED_TABLE, "sequence \"%s\" does not exist", name);
    }
    if (err == ERR_OK) {
        buffer_add_u8(&text, 0);
        err = node_query(task, upstream, (const char *)text.data, NULL, NULL, diag);
    }
    buffer_destroy(&text);
    *empty = search.empty;
    return err;
}

enum err
numbers_give_block(struct task *task, struct router *router, struct upstream *upstream,
    const char *schema, const char *name, struct diag *diag)
{
    bool empty = false;
    return give_block(task, router, upstream, schema, name, &empty, diag);
}

static enum err
read_text(void *arg, const struct slice *values, uint32_t count, struct diag *diag)
{
    char **text = arg;
    (void)diag;
    if (count == 1) {
        mem_free(*text);
        *text = mem_zalloc(values[0].size + 1);
        memcpy(*text, values[0].data, values[0].size);
    }
    return ERR_OK;
}

enum err
numbers_extend(
    struct task *task, struct router *router, uint32_t node, const char *message, struct diag *diag)
{
    const char *start = strchr(message, '"');
    const char *end = start == NULL ? NULL : strchr(start + 1, '"');
    char *schema = NULL;
    if (end == NULL) {
        return diag_set(diag, ERR_SEQUENCE_LIMIT, "%s", message);
    }
    struct arena arena;
    arena_create(&arena, "sequence");
    const char *name = arena_strndup(&arena, start + 1, (size_t)(end - start - 1));
    const char *text = arena_printf(&arena,
        "SELECT schemaname::text FROM pg_catalog.pg_sequences WHERE sequencename = %s AND "
        "last_value::numeric + increment_by NOT BETWEEN min_value AND max_value",
        parser_quote_literal(&arena, name, strlen(name)));
    enum err err = cluster_at_node(task, router, node, text, read_text, &schema, diag);
    struct upstream *upstream = NULL;
    if (err == ERR_OK && schema != NULL) { /* else somebody has done it meanwhile */
        err = cluster_connect(task, router, node, &upstream, diag);
    }
    if (err == ERR_OK && upstream != NULL) {
        bool empty = false;
        err = give_block(task, router, upstream, schema, name, &empty, diag);
        pool_release(task, upstream);
        if (err == ERR_OK && empty) {
            err = diag_set(diag, ERR_SEQUENCE_LIMIT, "%s", message); /* SQ3 */
        }
    }
    mem_free(schema);
    arena_destroy(&arena);
    return err;
}
