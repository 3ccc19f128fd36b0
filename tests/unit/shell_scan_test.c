/* Where a statement ends. Each script is scanned line by line; the statements found are joined by
 * "|", an unfinished rest stands behind "~", a backslash command is "@". */
#include "shell/scan.h"

#include <string.h>

#include "base/assert.h"

static void
check(const char *script, const char *expected)
{
    struct scanner scanner = {0};
    struct buffer query = {0};
    struct buffer all = {0};
    scan_reset(&scanner);
    for (const char *line = script; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        size_t at = 0;
        enum scan_end end;
        if (query.size > 0) {
            buffer_add_u8(&query, ' ');
        }
        while ((end = scan_line(&scanner, line, size, &at, &query)) != SCAN_INCOMPLETE) {
            if (end == SCAN_BACKSLASH) {
                buffer_add_u8(&all, '@');
                at = size;
                continue;
            }
            buffer_add(&all, query.data, query.size);
            buffer_add_u8(&all, '|');
            query.size = 0;
            scan_reset(&scanner);
        }
        line += size + (line[size] == '\n');
    }
    if (query.size > 0) {
        buffer_add_u8(&all, '~');
        buffer_add(&all, query.data, query.size);
    }
    buffer_add_u8(&all, 0);
    ASSERT(strcmp((const char *)all.data, expected) == 0);
    buffer_destroy(&query);
    buffer_destroy(&all);
}

static char
prompt_after(const char *line)
{
    struct scanner scanner = {0};
    struct buffer query = {0};
    size_t at = 0;
    scan_reset(&scanner);
    ASSERT(scan_line(&scanner, line, strlen(line), &at, &query) == SCAN_INCOMPLETE);
    buffer_destroy(&query);
    return scan_prompt(&scanner);
}

int
main(void)
{
    check("select 1;", "select 1;|");
    check("select 1; select 2;", "select 1;|select 2;|");
    check("select\n1;", "select 1;|");
    check("select 1", "~select 1");
    check("select ';';", "select ';';|");
    check("select 'it''s;';", "select 'it''s;';|");
    check("select 'a\\';", "select 'a\\';|");
    check("select E'a\\';';", "select E'a\\';';|");
    check("select e'\\\\';", "select e'\\\\';|");
    check("select name'x\\';", "select name'x\\';|"); /* name, not e */
    check("select \";\";", "select \";\";|");
    check("select $$;$$;", "select $$;$$;|");
    check("select $a$;$$;$b$;$a$;", "select $a$;$$;$b$;$a$;|");
    check("select a$b$ ; select $1;", "select a$b$ ;|select $1;|");
    check("select (1;2);", "select (1;2);|");
    check("select 1 -- ;\n+ 1;", "select 1 -- ; + 1;|");
    check("-- nothing\n   \n select 1;", "select 1;|");
    check("/* ; /* ; */ ; */ select 1;", "/* ; /* ; */ ; */ select 1;|");
    check("select '\n;\n';", "select ' ; ';|");
    check("\\d t", "@");
    ASSERT(prompt_after("select 1") == '-');
    ASSERT(prompt_after("select 'a") == '\'');
    ASSERT(prompt_after("select \"a") == '"');
    ASSERT(prompt_after("select $x$ a $$") == '$');
    ASSERT(prompt_after("select /* a") == '*');
    ASSERT(prompt_after("select (1") == '(');
    return 0;
}
