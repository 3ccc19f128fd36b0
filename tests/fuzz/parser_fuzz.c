/*
 * Any bytes: a tree or an error with a position inside the text, never a crash; and what
 * parser_normalize lifts can be put back to give a text that parses just as the original.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "parser/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct arena arena;
    struct diag diag;
    struct ast_list *statements = NULL;
    struct ast_node *expr = NULL;
    struct ast_type *type = NULL;
    arena_create(&arena, "statement");
    diag_clear(&diag);
    enum err err = parser_parse(&arena, text, size, &statements, &diag);
    if (err == ERR_OK) {
        int32_t last = 0;
        AST_FOREACH(at, statements)
        {
            const struct ast_statement *statement = ast_as_statement(*at);
            ASSERT(statement->start >= last && statement->size > 0);
            last = statement->start + statement->size;
            ASSERT((size_t)last <= size && statement->body != NULL);
            ASSERT(statement->body->depth <= AST_DEPTH_MAX);
        }
    } else {
        ASSERT(diag.code == err && diag.message[0] != '\0' && diag.position <= size + 1);
    }
    enum err ignored = parser_parse_expression(&arena, text, size, &expr, NULL);
    ignored = parser_parse_type(&arena, text, size, &type, NULL);
    (void)ignored;

    size_t room = size + 4 * PARSER_LITERALS_MAX + 1;
    char *to = arena_alloc_raw(&arena, room);
    static struct parser_normalized normalized;
    parser_normalize(text, size, to, room, &normalized);
    if (normalized.kind == PARSER_NORMAL_LIFTED && err == ERR_OK) {
        ASSERT(normalized.size < room && ast_list_count(statements) == 1);
        struct ast_list *again = NULL;
        if (parser_parse(&arena, normalized.text, normalized.size, &again, &diag) == ERR_OK) {
            ASSERT(ast_list_count(again) == 1);
            const struct ast_statement *one = ast_as_statement(again->items[0]);
            ASSERT(one->param_max == normalized.literal_count);
            ASSERT(one->body->kind == ast_as_statement(statements->items[0])->body->kind);
        }
    }
    arena_destroy(&arena);
    return 0;
}
