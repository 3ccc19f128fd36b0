/*
 * Compares our parser with PostgreSQL's own (libpg_query) over a file of statements, one a line:
 * both accept, or both refuse in the same words and at the same position. A comment line
 * "-- refused: why" lets us refuse the statement after it; then we must.
 *
 *     parser_oracle statements.sql
 */
#include <pg_query.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser/parser.h"

static bool
refused_by_name(const struct ast_list *statements)
{
    AST_FOREACH(at, statements)
    {
        if (ast_as_statement(*at)->body->kind == AST_UNSUPPORTED) {
            return true;
        }
    }
    return false;
}

/* True: as expected. */
static bool
compare(struct arena *arena, const char *text, size_t size, bool refusal_expected)
{
    struct diag diag;
    diag_clear(&diag);
    struct ast_list *statements = NULL;
    enum err err = parser_parse(arena, text, size, &statements, &diag);
    bool refused =
        err == ERR_FEATURE_NOT_SUPPORTED || (err == ERR_OK && refused_by_name(statements));
    PgQueryParseResult theirs = pg_query_parse(text);
    bool good;
    if (refusal_expected) {
        good = (err != ERR_OK || refused) && theirs.error == NULL;
    } else if (theirs.error == NULL) {
        good = err == ERR_OK || refused;
    } else {
        good = err != ERR_OK && strcmp(diag.message, theirs.error->message) == 0 &&
               (int)diag.position == theirs.error->cursorpos;
    }
    if (!good) {
        printf("%s\n    we:         %s [%u]\n    PostgreSQL: %s [%d]\n", text,
            err == ERR_OK ? "accept" : diag.message, err == ERR_OK ? 0 : diag.position,
            theirs.error == NULL ? "accepts" : theirs.error->message,
            theirs.error == NULL ? 0 : theirs.error->cursorpos);
    }
    pg_query_free_parse_result(theirs);
    arena_reset(arena);
    return good;
}

int
main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: parser_oracle FILE\n");
        return 2;
    }
    struct arena arena;
    arena_create(&arena, "statement");
    static char line[1 << 16];
    unsigned count = 0;
    unsigned bad = 0;
    bool refusal_expected = false;
    while (fgets(line, sizeof line, file) != NULL) {
        size_t size = strcspn(line, "\n");
        line[size] = '\0';
        if (strncmp(line, "--", 2) == 0 || size == 0) {
            refusal_expected = refusal_expected || strncmp(line, "-- refused:", 11) == 0;
            continue;
        }
        count++;
        bad += !compare(&arena, line, size, refusal_expected);
        refusal_expected = false;
    }
    fclose(file);
    arena_destroy(&arena);
    printf("%u statements, %u differ\n", count, bad);
    return bad != 0;
}
