/* shell/help.c - \h: what statements look like. */
#include <string.h>
#include <strings.h>

#include "shell/shell.h"

struct statement {
    const char *name;
    const char *purpose;
    const char *syntax;
};

/* In the order of their names. What a server cannot do yet it says itself (0A000). */
static const struct statement statements[] = {
    {"ALTER INDEX", "change an index", "ALTER INDEX [ IF EXISTS ] name RENAME TO new_name"},
    {"ALTER SEQUENCE", "change a sequence",
        "ALTER SEQUENCE [ IF EXISTS ] name [ INCREMENT BY n ] [ MINVALUE n | NO MINVALUE ]\n"
        "    [ MAXVALUE n | NO MAXVALUE ] [ RESTART [ WITH n ] ] [ CACHE n ] [ [ NO ] CYCLE ]\n"
        "    [ OWNED BY { table.column | NONE } ]"},
    {"ALTER TABLE", "change a table",
        "ALTER TABLE [ IF EXISTS ] name action [, ...]\n"
        "ALTER TABLE name RENAME [ COLUMN ] column TO new_column\n"
        "ALTER TABLE name RENAME TO new_name\n"
        "action is one of\n"
        "    ADD [ COLUMN ] [ IF NOT EXISTS ] column type [ constraint ... ]\n"
        "    DROP [ COLUMN ] [ IF EXISTS ] column [ RESTRICT | CASCADE ]\n"
        "    ALTER [ COLUMN ] column TYPE type [ USING expression ]\n"
        "    ALTER [ COLUMN ] column { SET DEFAULT expression | DROP DEFAULT }\n"
        "    ALTER [ COLUMN ] column { SET | DROP } NOT NULL\n"
        "    ADD table_constraint\n"
        "    DROP CONSTRAINT [ IF EXISTS ] name [ RESTRICT | CASCADE ]"},
    {"ANALYZE", "gather statistics about tables", "ANALYZE [ table [ ( column, ... ) ] ]"},
    {"BEGIN", "begin a transaction",
        "BEGIN [ WORK | TRANSACTION ] [ mode, ... ]\n"
        "mode is one of\n"
        "    ISOLATION LEVEL { SERIALIZABLE | REPEATABLE READ | READ COMMITTED |\n"
        "        READ UNCOMMITTED }\n"
        "    READ WRITE | READ ONLY\n"
        "    [ NOT ] DEFERRABLE"},
    {"CHECKPOINT", "write a checkpoint now", "CHECKPOINT"},
    {"CLOSE", "end a cursor", "CLOSE { name | ALL }"},
    {"COMMENT", "describe an object",
        "COMMENT ON { TABLE | COLUMN | INDEX | VIEW | SEQUENCE | ... } name IS { 'text' | NULL }"},
    {"COMMIT", "make a transaction's changes lasting",
        "COMMIT [ WORK | TRANSACTION ] [ AND [ NO ] CHAIN ]"},
    {"COPY", "many rows from or to the client",
        "COPY table [ ( column, ... ) ] FROM STDIN [ [ WITH ] ( option, ... ) ]\n"
        "COPY { table [ ( column, ... ) ] | ( query ) } TO STDOUT [ [ WITH ] ( option, ... ) ]\n"
        "option is one of\n"
        "    FORMAT { text | csv | binary }, DELIMITER 'c', NULL 'text', HEADER [ on | off | match "
        "],"
        "\n    QUOTE 'c', ESCAPE 'c', FORCE_QUOTE { ( column, ... ) | * },\n"
        "    FORCE_NOT_NULL ( column, ... ), FORCE_NULL ( column, ... )"},
    {"CREATE DATABASE", "make a database", "CREATE DATABASE name [ OWNER role ]"},
    {"CREATE INDEX", "make an index",
        "CREATE [ UNIQUE ] INDEX [ [ IF NOT EXISTS ] name ] ON table\n"
        "    ( { column | ( expression ) } [ ASC | DESC ] [ NULLS { FIRST | LAST } ], ... )\n"
        "    [ INCLUDE ( column, ... ) ] [ WHERE condition ]"},
    {"CREATE ROLE", "make a role",
        "CREATE { ROLE | USER } name [ [ WITH ] option ... ]\n"
        "option is one of\n"
        "    LOGIN | NOLOGIN, SUPERUSER | NOSUPERUSER, CREATEDB, CREATEROLE, INHERIT,\n"
        "    CONNECTION LIMIT n, PASSWORD 'text', IN ROLE role, ..."},
    {"CREATE SCHEMA", "make a schema",
        "CREATE SCHEMA [ IF NOT EXISTS ] name [ AUTHORIZATION role ]"},
    {"CREATE SEQUENCE", "make a sequence",
        "CREATE SEQUENCE [ IF NOT EXISTS ] name [ AS type ] [ INCREMENT BY n ] [ MINVALUE n ]\n"
        "    [ MAXVALUE n ] [ START WITH n ] [ CACHE n ] [ [ NO ] CYCLE ]\n"
        "    [ OWNED BY { table.column | NONE } ]"},
    {"CREATE TABLE", "make a table",
        "CREATE [ TEMPORARY ] TABLE [ IF NOT EXISTS ] name (\n"
        "    { column type [ column_constraint ... ] | table_constraint |\n"
        "      LIKE table [ INCLUDING ... ] } [, ...] )\n"
        "column_constraint is one of, after [ CONSTRAINT name ]\n"
        "    NOT NULL, NULL, CHECK ( expression ), DEFAULT expression, UNIQUE, PRIMARY KEY,\n"
        "    GENERATED ALWAYS AS ( expression ) STORED,\n"
        "    GENERATED { ALWAYS | BY DEFAULT } AS IDENTITY,\n"
        "    REFERENCES table [ ( column ) ] [ ON DELETE action ] [ ON UPDATE action ]\n"
        "table_constraint is one of, after [ CONSTRAINT name ]\n"
        "    CHECK ( expression ), UNIQUE ( column, ... ), PRIMARY KEY ( column, ... ),\n"
        "    FOREIGN KEY ( column, ... ) REFERENCES table [ ( column, ... ) ] ..."},
    {"CREATE TABLE AS", "make a table of a query's rows",
        "CREATE [ TEMPORARY ] TABLE [ IF NOT EXISTS ] name [ ( column, ... ) ]\n"
        "    AS query [ WITH [ NO ] DATA ]"},
    {"CREATE TYPE", "make an enum type", "CREATE TYPE name AS ENUM ( [ 'label', ... ] )"},
    {"CREATE VIEW", "give a query a name",
        "CREATE [ OR REPLACE ] VIEW name [ ( column, ... ) ] AS query"},
    {"DEALLOCATE", "forget a prepared statement", "DEALLOCATE [ PREPARE ] { name | ALL }"},
    {"DECLARE", "define a cursor",
        "DECLARE name [ BINARY ] [ [ NO ] SCROLL ] CURSOR [ { WITH | WITHOUT } HOLD ] FOR query"},
    {"DELETE", "remove rows",
        "[ WITH name AS ( query ), ... ]\n"
        "DELETE FROM [ ONLY ] table [ [ AS ] alias ] [ USING from_item, ... ]\n"
        "    [ WHERE condition ] [ RETURNING expression, ... ]"},
    {"DISCARD", "forget a session's state", "DISCARD { ALL | PLANS | SEQUENCES | TEMP }"},
    {"DROP INDEX", "remove an index", "DROP INDEX [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP ROLE", "remove a role", "DROP { ROLE | USER } [ IF EXISTS ] name, ..."},
    {"DROP SCHEMA", "remove a schema",
        "DROP SCHEMA [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP SEQUENCE", "remove a sequence",
        "DROP SEQUENCE [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP TABLE", "remove a table", "DROP TABLE [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP TYPE", "remove a type", "DROP TYPE [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP VIEW", "remove a view", "DROP VIEW [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"END", "the same as COMMIT", "END [ WORK | TRANSACTION ] [ AND [ NO ] CHAIN ]"},
    {"EXECUTE", "run a prepared statement", "EXECUTE name [ ( parameter, ... ) ]"},
    {"EXPLAIN", "show how a statement runs",
        "EXPLAIN [ ( option, ... ) ] statement\n"
        "EXPLAIN [ ANALYZE ] [ VERBOSE ] statement\n"
        "option is one of\n"
        "    ANALYZE, VERBOSE, COSTS, BUFFERS, TIMING, SUMMARY, FORMAT { TEXT | JSON }"},
    {"FETCH", "rows of a cursor",
        "FETCH [ direction ] [ FROM | IN ] name\n"
        "direction is one of\n"
        "    NEXT, PRIOR, FIRST, LAST, ABSOLUTE n, RELATIVE n, n, ALL,\n"
        "    FORWARD [ n | ALL ], BACKWARD [ n | ALL ]"},
    {"GRANT", "give privileges or membership",
        "GRANT { privilege, ... | ALL } ON { [ TABLE ] name, ... | SEQUENCE name, ... |\n"
        "    SCHEMA name, ... | DATABASE name, ... | ALL TABLES IN SCHEMA name }\n"
        "    TO role, ... [ WITH GRANT OPTION ]\n"
        "GRANT role, ... TO role, ... [ WITH ADMIN OPTION ]"},
    {"INSERT", "add rows",
        "[ WITH name AS ( query ), ... ]\n"
        "INSERT INTO table [ AS alias ] [ ( column, ... ) ]\n"
        "    { DEFAULT VALUES | VALUES ( { expression | DEFAULT }, ... ), ... | query }\n"
        "    [ ON CONFLICT [ ( column, ... ) [ WHERE condition ] | ON CONSTRAINT name ]\n"
        "      { DO NOTHING | DO UPDATE SET column = expression, ... [ WHERE condition ] } ]\n"
        "    [ RETURNING expression, ... ]"},
    {"LISTEN", "hear of notifications", "LISTEN channel"},
    {"LOCK", "lock a table",
        "LOCK [ TABLE ] name, ... [ IN mode MODE ] [ NOWAIT ]\n"
        "mode is one of\n"
        "    ACCESS SHARE, ROW SHARE, ROW EXCLUSIVE, SHARE UPDATE EXCLUSIVE, SHARE,\n"
        "    SHARE ROW EXCLUSIVE, EXCLUSIVE, ACCESS EXCLUSIVE"},
    {"MOVE", "move a cursor", "MOVE [ direction ] [ FROM | IN ] name"},
    {"NOTIFY", "tell those who listen, at commit", "NOTIFY channel [, 'text' ]"},
    {"PREPARE", "name a statement for later", "PREPARE name [ ( type, ... ) ] AS statement"},
    {"RELEASE SAVEPOINT", "forget a savepoint", "RELEASE [ SAVEPOINT ] name"},
    {"RESET", "a setting as it was at first", "RESET { name | ALL }"},
    {"REVOKE", "take privileges or membership",
        "REVOKE [ GRANT OPTION FOR ] { privilege, ... | ALL } ON object FROM role, ...\n"
        "REVOKE role, ... FROM role, ..."},
    {"ROLLBACK", "undo a transaction", "ROLLBACK [ WORK | TRANSACTION ] [ AND [ NO ] CHAIN ]"},
    {"ROLLBACK TO SAVEPOINT", "undo what came after a savepoint",
        "ROLLBACK [ WORK | TRANSACTION ] TO [ SAVEPOINT ] name"},
    {"SAVEPOINT", "a place to roll back to", "SAVEPOINT name"},
    {"SELECT", "rows of tables, views and expressions",
        "[ WITH [ RECURSIVE ] name [ ( column, ... ) ] AS ( query ), ... ]\n"
        "SELECT [ ALL | DISTINCT [ ON ( expression, ... ) ] ] { * | expression [ [ AS ] name ], "
        "... }"
        "\n    [ FROM from_item, ... ]\n"
        "    [ WHERE condition ]\n"
        "    [ GROUP BY { expression | ROLLUP ( ... ) | CUBE ( ... ) | GROUPING SETS ( ... ) }, "
        "... ]"
        "\n    [ HAVING condition ]\n"
        "    [ WINDOW name AS ( window ), ... ]\n"
        "    [ { UNION | INTERSECT | EXCEPT } [ ALL | DISTINCT ] query ]\n"
        "    [ ORDER BY expression [ ASC | DESC ] [ NULLS { FIRST | LAST } ], ... ]\n"
        "    [ LIMIT { n | ALL } ] [ OFFSET n ] [ FETCH FIRST n ROWS { ONLY | WITH TIES } ]\n"
        "    [ FOR { UPDATE | NO KEY UPDATE | SHARE | KEY SHARE } [ OF table, ... ]\n"
        "      [ NOWAIT | SKIP LOCKED ] ]\n"
        "from_item is one of\n"
        "    table [ [ AS ] alias [ ( column, ... ) ] ]\n"
        "    [ LATERAL ] ( query ) [ AS ] alias\n"
        "    [ LATERAL ] function ( ... ) [ WITH ORDINALITY ] [ [ AS ] alias ]\n"
        "    from_item [ NATURAL ] { [ INNER ] | LEFT | RIGHT | FULL | CROSS } JOIN from_item\n"
        "        [ ON condition | USING ( column, ... ) ]"},
    {"SET", "change a setting",
        "SET [ SESSION | LOCAL ] name { TO | = } { value | DEFAULT }\n"
        "SET [ SESSION | LOCAL ] TIME ZONE { value | LOCAL | DEFAULT }"},
    {"SET CONSTRAINTS", "when constraints are checked",
        "SET CONSTRAINTS { ALL | name, ... } { DEFERRED | IMMEDIATE }"},
    {"SET TRANSACTION", "modes of this transaction",
        "SET TRANSACTION mode, ...\n"
        "SET SESSION CHARACTERISTICS AS TRANSACTION mode, ..."},
    {"SHOW", "a setting's value", "SHOW { name | ALL }"},
    {"START TRANSACTION", "the same as BEGIN", "START TRANSACTION [ mode, ... ]"},
    {"TABLE", "all rows of a table", "TABLE [ ONLY ] name"},
    {"TRUNCATE", "remove all rows",
        "TRUNCATE [ TABLE ] name, ... [ RESTART IDENTITY | CONTINUE IDENTITY ]\n"
        "    [ RESTRICT | CASCADE ]"},
    {"UNLISTEN", "hear no more of notifications", "UNLISTEN { channel | * }"},
    {"UPDATE", "change rows",
        "[ WITH name AS ( query ), ... ]\n"
        "UPDATE [ ONLY ] table [ [ AS ] alias ]\n"
        "    SET { column = { expression | DEFAULT } | ( column, ... ) = ( expression, ... ) }, "
        "...\n"
        "    [ FROM from_item, ... ] [ WHERE condition ] [ RETURNING expression, ... ]"},
    {"VACUUM", "accepted: there is nothing to vacuum", "VACUUM [ ( option, ... ) ] [ table, ... ]"},
    {"VALUES", "rows of expressions",
        "VALUES ( expression, ... ), ... [ ORDER BY ... ] [ LIMIT n ] [ OFFSET n ]"},
    {"WITH", "see SELECT, INSERT, UPDATE, DELETE", "WITH [ RECURSIVE ] name AS ( query ), ... "},
};

enum {
    STATEMENT_COUNT = sizeof statements / sizeof statements[0],
    LIST_COLUMNS = 3,
};

static void
put_list(FILE *to)
{
    size_t rows = (STATEMENT_COUNT + LIST_COLUMNS - 1) / LIST_COLUMNS;
    (void)fputs("Available help:\n", to);
    for (size_t row = 0; row < rows; row++) {
        for (size_t at = row; at < STATEMENT_COUNT; at += rows) {
            bool last = at + rows >= STATEMENT_COUNT;
            (void)fprintf(to, last ? "  %s\n" : "  %-24s", statements[at].name);
        }
    }
}

/* True if the first `size` bytes of words begin the name, at a word's end if `whole`. */
static bool
begins(const char *name, const char *words, size_t size, bool whole)
{
    return strncasecmp(name, words, size) == 0 && strlen(name) >= size &&
           (!whole || name[size] == '\0' || name[size] == ' ');
}

static bool
put_matches(FILE *to, const char *words, size_t size, bool whole)
{
    bool any = false;
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        const struct statement *statement = &statements[i];
        if (begins(statement->name, words, size, whole)) {
            (void)fprintf(to, "Command:     %s\nDescription: %s\nSyntax:\n%s\n\n", statement->name,
                statement->purpose, statement->syntax);
            any = true;
        }
    }
    return any;
}

void
help_statement(struct shell *shell, const char *words)
{
    size_t size = words == NULL ? 0 : strlen(words);
    while (size > 0 && strchr("; \t", words[size - 1]) != NULL) {
        size--;
    }
    bool all = size == 1 && words[0] == '*';
    FILE *pager = output_page(shell, all ? SIZE_MAX : 30);
    FILE *to = pager != NULL ? pager : stdout;
    bool found = true;
    if (size == 0) {
        put_list(to);
    } else if (all) {
        (void)put_matches(to, "", 0, false);
    } else {
        /* "create table x": the longest beginning that is one. */
        found = put_matches(to, words, size, true) || put_matches(to, words, size, false);
        while (!found && size > 0) {
            while (size > 0 && words[size - 1] != ' ') {
                size--;
            }
            while (size > 0 && words[size - 1] == ' ') {
                size--;
            }
            found = size > 0 && put_matches(to, words, size, true);
        }
    }
    if (pager != NULL) {
        output_page_end(pager);
    }
    if (!found) {
        (void)printf("No help available for \"%s\".\nTry \\h with no arguments to see available "
                     "help.\n",
            words);
    }
}
