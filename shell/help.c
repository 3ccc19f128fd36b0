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
    {"ABORT", "the same as ROLLBACK", "ABORT [ WORK | TRANSACTION ] [ AND [ NO ] CHAIN ]"},
    {"ALTER CLUSTER", "nodes of a cluster (at a router)",
        "ALTER CLUSTER ADD NODE name 'host:port'\n"
        "ALTER CLUSTER DROP NODE name\n"
        "ALTER CLUSTER DRAIN NODE name\n"
        "ALTER CLUSTER REBALANCE"},
    {"ALTER DATABASE", "change a database",
        "ALTER DATABASE name { RENAME TO new_name | OWNER TO role }\n"
        "ALTER DATABASE name SET setting { TO | = } { value | DEFAULT }\n"
        "ALTER DATABASE name RESET { setting | ALL }"},
    {"ALTER DEFAULT PRIVILEGES", "privileges of what will be made",
        "ALTER DEFAULT PRIVILEGES [ FOR ROLE role, ... ] [ IN SCHEMA name, ... ]\n"
        "    { GRANT { privilege, ... | ALL } ON { TABLES | SEQUENCES | FUNCTIONS | TYPES | "
        "SCHEMAS }\n"
        "        TO role, ... [ WITH GRANT OPTION ] |\n"
        "      REVOKE [ GRANT OPTION FOR ] { privilege, ... | ALL } ON { TABLES | ... } FROM role, "
        "... }"},
    {"ALTER DOMAIN", "change a domain",
        "ALTER DOMAIN name { SET DEFAULT expression | DROP DEFAULT | SET NOT NULL | DROP NOT NULL "
        "}\n"
        "ALTER DOMAIN name ADD [ CONSTRAINT name ] CHECK ( expression ) [ NOT VALID ]\n"
        "ALTER DOMAIN name { DROP CONSTRAINT [ IF EXISTS ] name | VALIDATE CONSTRAINT name }\n"
        "ALTER DOMAIN name { RENAME TO new_name | OWNER TO role | SET SCHEMA schema }"},
    {"ALTER FUNCTION", "change a function",
        "ALTER FUNCTION name [ ( type, ... ) ] { RENAME TO new_name | OWNER TO role | SET SCHEMA "
        "schema }"},
    {"ALTER INDEX", "change an index", "ALTER INDEX [ IF EXISTS ] name RENAME TO new_name"},
    {"ALTER MATERIALIZED VIEW", "change a materialized view",
        "ALTER MATERIALIZED VIEW [ IF EXISTS ] name\n"
        "    { RENAME TO new_name | OWNER TO role | SET SCHEMA schema }"},
    {"ALTER PROCEDURE", "change a procedure",
        "ALTER PROCEDURE name [ ( type, ... ) ] { RENAME TO new_name | OWNER TO role | SET SCHEMA "
        "schema }"},
    {"ALTER ROLE", "change a role",
        "ALTER { ROLE | USER } name [ [ WITH ] option ... ]  (see CREATE ROLE)\n"
        "ALTER { ROLE | USER } name RENAME TO new_name\n"
        "ALTER { ROLE | USER } { name | ALL } [ IN DATABASE database ]\n"
        "    { SET setting { TO | = } { value | DEFAULT } | RESET { setting | ALL } }"},
    {"ALTER SAGA", "an instance that waits for somebody",
        "ALTER SAGA INSTANCE id { RETRY | COMPENSATE | SKIP STEP name | PAUSE | RESUME }"},
    {"ALTER SCHEMA", "change a schema", "ALTER SCHEMA name { RENAME TO new_name | OWNER TO role }"},
    {"ALTER SEQUENCE", "change a sequence",
        "ALTER SEQUENCE [ IF EXISTS ] name [ INCREMENT BY n ] [ MINVALUE n | NO MINVALUE ]\n"
        "    [ MAXVALUE n | NO MAXVALUE ] [ RESTART [ WITH n ] ] [ CACHE n ] [ [ NO ] CYCLE ]\n"
        "    [ OWNED BY { table.column | NONE } ]\n"
        "ALTER SEQUENCE [ IF EXISTS ] name { RENAME TO new_name | OWNER TO role | SET SCHEMA "
        "schema }"},
    {"ALTER SYSTEM", "settings of the server, in tusk.auto.conf",
        "ALTER SYSTEM SET setting { TO | = } { value | DEFAULT }\n"
        "ALTER SYSTEM RESET { setting | ALL }"},
    {"ALTER TABLE", "change a table",
        "ALTER TABLE [ IF EXISTS ] [ ONLY ] name action, ...\n"
        "ALTER TABLE [ IF EXISTS ] [ ONLY ] name RENAME [ COLUMN ] column TO new_column\n"
        "ALTER TABLE [ IF EXISTS ] [ ONLY ] name RENAME CONSTRAINT constraint TO new_constraint\n"
        "ALTER TABLE [ IF EXISTS ] name { RENAME TO new_name | SET SCHEMA schema | OWNER TO role "
        "}\n"
        "ALTER TABLE name { MOVE BUCKET n TO node | MOVE BUCKETS ( n, ... ) TO node | SPLIT AT ( "
        "value ) }\n"
        "action is one of\n"
        "    ADD [ COLUMN ] [ IF NOT EXISTS ] column type [ constraint ... ]\n"
        "    DROP [ COLUMN ] [ IF EXISTS ] column [ RESTRICT | CASCADE ]\n"
        "    ALTER [ COLUMN ] column [ SET DATA ] TYPE type [ USING expression ]\n"
        "    ALTER [ COLUMN ] column { SET DEFAULT expression | DROP DEFAULT }\n"
        "    ALTER [ COLUMN ] column { SET | DROP } NOT NULL\n"
        "    ALTER [ COLUMN ] column ADD GENERATED { ALWAYS | BY DEFAULT } AS IDENTITY [ ( ... ) "
        "]\n"
        "    ALTER [ COLUMN ] column DROP IDENTITY [ IF EXISTS ]\n"
        "    ADD table_constraint [ NOT VALID ]\n"
        "    ALTER CONSTRAINT name [ [ NOT ] DEFERRABLE ] [ INITIALLY { DEFERRED | IMMEDIATE } ]\n"
        "    VALIDATE CONSTRAINT name\n"
        "    DROP CONSTRAINT [ IF EXISTS ] name [ RESTRICT | CASCADE ]"},
    {"ALTER TYPE", "change a type",
        "ALTER TYPE name ADD VALUE [ IF NOT EXISTS ] 'label' [ { BEFORE | AFTER } 'label' ]\n"
        "ALTER TYPE name RENAME VALUE 'label' TO 'label'\n"
        "ALTER TYPE name { RENAME TO new_name | OWNER TO role | SET SCHEMA schema }"},
    {"ALTER USER", "the same as ALTER ROLE", "ALTER USER name ...  (see ALTER ROLE)"},
    {"ALTER VIEW", "change a view",
        "ALTER VIEW [ IF EXISTS ] name RENAME [ COLUMN ] column TO new_column\n"
        "ALTER VIEW [ IF EXISTS ] name { RENAME TO new_name | OWNER TO role | SET SCHEMA schema }\n"
        "ALTER VIEW [ IF EXISTS ] name ALTER [ COLUMN ] column { SET DEFAULT expression | DROP "
        "DEFAULT }\n"
        "ALTER VIEW [ IF EXISTS ] name { SET ( option [ = value ], ... ) | RESET ( option, ... ) "
        "}"},
    {"ANALYZE", "gather statistics about tables", "ANALYZE [ table [ ( column, ... ) ] ]"},
    {"BEGIN", "begin a transaction",
        "BEGIN [ WORK | TRANSACTION ] [ mode, ... ]\n"
        "mode is one of\n"
        "    ISOLATION LEVEL { SERIALIZABLE | REPEATABLE READ | READ COMMITTED |\n"
        "        READ UNCOMMITTED }\n"
        "    READ WRITE | READ ONLY\n"
        "    [ NOT ] DEFERRABLE"},
    {"CALL", "run a procedure", "CALL name ( [ argument, ... ] )"},
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
        "],\n"
        "    QUOTE 'c', ESCAPE 'c', FORCE_QUOTE { ( column, ... ) | * },\n"
        "    FORCE_NOT_NULL ( column, ... ), FORCE_NULL ( column, ... )"},
    {"CREATE DATABASE", "make a database",
        "CREATE DATABASE name [ [ WITH ] [ OWNER [ = ] role ] [ TEMPLATE [ = ] name ] [ ENCODING [ "
        "= ] name ] ... ]"},
    {"CREATE DOMAIN", "a type with conditions",
        "CREATE DOMAIN name [ AS ] type [ DEFAULT expression ]\n"
        "    [ [ CONSTRAINT name ] { NOT NULL | NULL | CHECK ( expression ) } ... ]"},
    {"CREATE FUNCTION", "make a function of SQL",
        "CREATE [ OR REPLACE ] FUNCTION name ( [ [ mode ] [ name ] type [ { DEFAULT | = } "
        "expression ], ... ] )\n"
        "    [ RETURNS [ SETOF ] type | RETURNS TABLE ( column type, ... ) ]\n"
        "    { LANGUAGE SQL | { IMMUTABLE | STABLE | VOLATILE } | { STRICT | CALLED ON NULL INPUT "
        "} |\n"
        "      SECURITY { DEFINER | INVOKER } | AS 'body' | BEGIN ATOMIC ... END | RETURN "
        "expression } ...\n"
        "mode is one of IN, OUT, INOUT, VARIADIC"},
    {"CREATE INDEX", "make an index",
        "CREATE [ UNIQUE ] INDEX [ [ IF NOT EXISTS ] name ] ON table\n"
        "    ( { column | ( expression ) } [ ASC | DESC ] [ NULLS { FIRST | LAST } ], ... )\n"
        "    [ INCLUDE ( column, ... ) ] [ WHERE condition ]"},
    {"CREATE MATERIALIZED VIEW", "a query's rows, kept",
        "CREATE MATERIALIZED VIEW [ IF NOT EXISTS ] name [ ( column, ... ) ]\n"
        "    AS query [ WITH [ NO ] DATA ]"},
    {"CREATE PROCEDURE", "make a procedure of SQL",
        "CREATE [ OR REPLACE ] PROCEDURE name ( [ [ mode ] [ name ] type [ { DEFAULT | = } "
        "expression ], ... ] )\n"
        "    { LANGUAGE SQL | SECURITY { DEFINER | INVOKER } | AS 'body' | BEGIN ATOMIC ... END } "
        "..."},
    {"CREATE ROLE", "make a role",
        "CREATE { ROLE | USER } name [ [ WITH ] option ... ]\n"
        "option is one of\n"
        "    LOGIN | NOLOGIN, SUPERUSER | NOSUPERUSER, CREATEDB, CREATEROLE, INHERIT,\n"
        "    CONNECTION LIMIT n, PASSWORD 'text', IN ROLE role, ..."},
    {"CREATE SAGA", "steps and what undoes them",
        "CREATE SAGA name ( [ parameter type, ... ] ) [ TIMEOUT 'time' ]\n"
        "    STEP name ON table ( key ) DO 'statements' [ UNDO { 'statements' | AUTO } ]\n"
        "        [ EXPECT ROWS ] [ PIVOT | RETRIABLE ] [ RETRY n [ BACKOFF 'time' [ TO 'time' ] ] "
        "]\n"
        "        [ TIMEOUT 'time' ]\n"
        "    ..."},
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
        "    [ ON COMMIT { PRESERVE ROWS | DELETE ROWS | DROP } ]\n"
        "    [ SHARD BY HASH ( column ) BUCKETS n | SHARD BY RANGE ( column ) [ ( value, ... ) ] "
        "|\n"
        "      SHARD BY LIST ( column ) ( ( value, ... ) [ ON node ], ... ) | REPLICATED ]\n"
        "    [ COLOCATE WITH table ]\n"
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
    {"CREATE TYPE", "make a type",
        "CREATE TYPE name AS ENUM ( [ 'label', ... ] )\n"
        "CREATE TYPE name AS ( [ attribute type, ... ] )"},
    {"CREATE USER", "a role that may log in", "CREATE USER name ...  (see CREATE ROLE)"},
    {"CREATE VIEW", "give a query a name",
        "CREATE [ OR REPLACE ] [ TEMPORARY ] VIEW name [ ( column, ... ) ] [ WITH ( option, ... ) "
        "]\n"
        "    AS query [ WITH [ CASCADED | LOCAL ] CHECK OPTION ]"},
    {"DEALLOCATE", "forget a prepared statement", "DEALLOCATE [ PREPARE ] { name | ALL }"},
    {"DECLARE", "define a cursor",
        "DECLARE name [ BINARY ] [ [ NO ] SCROLL ] CURSOR [ { WITH | WITHOUT } HOLD ] FOR query"},
    {"DELETE", "remove rows",
        "[ WITH name AS ( query ), ... ]\n"
        "DELETE FROM [ ONLY ] table [ [ AS ] alias ] [ USING from_item, ... ]\n"
        "    [ WHERE condition ] [ RETURNING expression, ... ]"},
    {"DISCARD", "forget a session's state", "DISCARD { ALL | PLANS | SEQUENCES | TEMP }"},
    {"DO", "run a block of code", "DO [ LANGUAGE language ] 'code'"},
    {"DROP DATABASE", "remove a database",
        "DROP DATABASE [ IF EXISTS ] name [ [ WITH ] ( FORCE ) ]"},
    {"DROP DOMAIN", "remove a domain",
        "DROP DOMAIN [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP FUNCTION", "remove a function",
        "DROP FUNCTION [ IF EXISTS ] name [ ( type, ... ) ], ... [ RESTRICT | CASCADE ]"},
    {"DROP INDEX", "remove an index", "DROP INDEX [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP MATERIALIZED VIEW", "remove a materialized view",
        "DROP MATERIALIZED VIEW [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP OWNED", "remove what roles own and may do",
        "DROP OWNED BY role, ... [ RESTRICT | CASCADE ]"},
    {"DROP PROCEDURE", "remove a procedure",
        "DROP PROCEDURE [ IF EXISTS ] name [ ( type, ... ) ], ... [ RESTRICT | CASCADE ]"},
    {"DROP ROLE", "remove a role", "DROP { ROLE | USER } [ IF EXISTS ] name, ..."},
    {"DROP SAGA", "remove a saga", "DROP SAGA [ IF EXISTS ] name"},
    {"DROP SCHEMA", "remove a schema",
        "DROP SCHEMA [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP SEQUENCE", "remove a sequence",
        "DROP SEQUENCE [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP TABLE", "remove a table", "DROP TABLE [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP TYPE", "remove a type", "DROP TYPE [ IF EXISTS ] name, ... [ RESTRICT | CASCADE ]"},
    {"DROP USER", "the same as DROP ROLE", "DROP USER [ IF EXISTS ] name, ..."},
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
        "GRANT { privilege [ ( column, ... ) ], ... | ALL } ON { [ TABLE ] name, ... | SEQUENCE "
        "name, ... |\n"
        "    SCHEMA name, ... | DATABASE name, ... | FUNCTION name, ... | TYPE name, ... |\n"
        "    ALL { TABLES | SEQUENCES | FUNCTIONS } IN SCHEMA name, ... }\n"
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
    {"REASSIGN OWNED", "give what roles own to another", "REASSIGN OWNED BY role, ... TO role"},
    {"REFRESH MATERIALIZED VIEW", "read a materialized view's rows anew",
        "REFRESH MATERIALIZED VIEW [ CONCURRENTLY ] name [ WITH [ NO ] DATA ]"},
    {"REINDEX", "make indexes anew",
        "REINDEX [ ( option, ... ) ] { INDEX | TABLE | SCHEMA | DATABASE | SYSTEM } [ CONCURRENTLY "
        "] name"},
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
        "... }\n"
        "    [ FROM from_item, ... ]\n"
        "    [ WHERE condition ]\n"
        "    [ GROUP BY { expression | ROLLUP ( ... ) | CUBE ( ... ) | GROUPING SETS ( ... ) }, "
        "... ]\n"
        "    [ HAVING condition ]\n"
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
    {"SELECT INTO", "a query's rows as a new table",
        "[ WITH ... ] SELECT expression, ... INTO [ TEMPORARY ] [ TABLE ] name [ FROM ... ] ...  "
        "(see SELECT)"},
    {"SET", "change a setting",
        "SET [ SESSION | LOCAL ] name { TO | = } { value | DEFAULT }\n"
        "SET [ SESSION | LOCAL ] TIME ZONE { value | LOCAL | DEFAULT }"},
    {"SET CONSTRAINTS", "when constraints are checked",
        "SET CONSTRAINTS { ALL | name, ... } { DEFERRED | IMMEDIATE }"},
    {"SET ROLE", "act as another role",
        "SET [ SESSION | LOCAL ] ROLE { name | NONE }\n"
        "RESET ROLE"},
    {"SET SESSION AUTHORIZATION", "become another role",
        "SET [ SESSION | LOCAL ] SESSION AUTHORIZATION { name | DEFAULT }\n"
        "RESET SESSION AUTHORIZATION"},
    {"SET TRANSACTION", "modes of this transaction",
        "SET TRANSACTION mode, ...\n"
        "SET SESSION CHARACTERISTICS AS TRANSACTION mode, ..."},
    {"SHOW", "a setting's value", "SHOW { name | ALL }"},
    {"START SAGA", "run a saga",
        "START SAGA name ( [ expression, ... ] ) [ WITH KEY 'text' ] [ WAIT ]"},
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
    {"VACUUM", "there is nothing to vacuum; ANALYZE it does",
        "VACUUM [ ( option, ... ) ] [ table, ... ]"},
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
