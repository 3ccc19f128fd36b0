/* The looks of results, byte by byte. */
#include "shell/print.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

static void
check(const struct print_options *options, const char *cell, bool right, const char *expected)
{
    struct arena arena;
    arena_create(&arena, "test");
    struct print_column columns[] = {{"a", right}, {"heading", false}};
    struct print_table table = {.arena = &arena, .columns = columns, .column_count = 2};
    print_add_text(&table, cell);
    print_add_text(&table, "x");
    print_add_text(&table, "22");
    print_add_text(&table, NULL);
    table.row_count = 2;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    print_table(to, &table, options);
    (void)fclose(to);
    if (strcmp(text, expected) != 0) {
        (void)fprintf(stderr, "expected:\n%sgot:\n%s", expected, text);
        abort();
    }
    mem_free(text);
    arena_destroy(&arena);
}

int
main(void)
{
    struct print_options options = {.null_text = "", .separator = "|"};
    check(&options, "1", true, " a  | heading \n----+---------\n  1 | x\n 22 | \n(2 rows)\n\n");
    check(&options, "1", false, " a  | heading \n----+---------\n 1  | x\n 22 | \n(2 rows)\n\n");
    check(&options, "p\nqqq", false,
        "  a  | heading \n-----+---------\n p  +| x\n qqq | \n 22  | \n(2 rows)\n\n");
    check(&options, "\xc3\xa4", false,
        " a  | heading \n----+---------\n \xc3\xa4  | x\n 22 | \n(2 rows)\n\n");
    check(&options, "\xe6\xbc\xa2", false,
        " a  | heading \n----+---------\n \xe6\xbc\xa2 | x\n 22 | \n(2 rows)\n\n");
    check(&options, "\x01", false,
        "  a   | heading \n------+---------\n \\x01 | x\n 22   | \n(2 rows)\n\n");
    options.null_text = "(null)";
    options.tuples_only = true;
    check(&options, "1", true, "  1 | x\n 22 | (null)\n\n");
    options.format = PRINT_UNALIGNED;
    check(&options, "1", true, "1|x\n22|(null)\n");
    options.tuples_only = false;
    check(&options, "1", true, "a|heading\n1|x\n22|(null)\n(2 rows)\n");
    options.expanded = PRINT_EXPANDED_ON;
    check(&options, "1", true, "a|1\nheading|x\n\na|22\nheading|(null)\n");
    options.format = PRINT_ALIGNED;
    check(&options, "1", true,
        "-[ RECORD 1 ]---\na       | 1\nheading | x\n"
        "-[ RECORD 2 ]---\na       | 22\nheading | (null)\n\n");
    return 0;
}
