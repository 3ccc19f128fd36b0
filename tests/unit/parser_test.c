#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "parser/parser.h"

static struct arena arena;
static struct diag diag;

static struct ast_list *
parse_all(const char *text)
{
    struct ast_list *list = NULL;
    enum err err = parser_parse(&arena, text, strlen(text), &list, &diag);
    if (err != ERR_OK) {
        fail_msg("%s: %s", text, diag.message);
    }
    return list;
}

static const struct ast_node *
parse(const char *text)
{
    struct ast_list *list = parse_all(text);
    assert_int_equal(list->count, 1);
    return ast_as_statement(list->items[0])->body;
}

static const struct ast_node *
expression(const char *text)
{
    struct ast_node *expr = NULL;
    enum err err = parser_parse_expression(&arena, text, strlen(text), &expr, &diag);
    if (err != ERR_OK) {
        fail_msg("%s: %s", text, diag.message);
    }
    return expr;
}

static void
refuse(const char *text, enum err code, uint32_t position, const char *message)
{
    struct ast_list *list = NULL;
    diag_clear(&diag);
    assert_int_equal(parser_parse(&arena, text, strlen(text), &list, &diag), code);
    assert_string_equal(diag.message, message);
    assert_int_equal(diag.position, position);
}

static int
begin(void **state)
{
    (void)state;
    arena_create(&arena, "statement");
    return 0;
}

static int
end(void **state)
{
    (void)state;
    arena_destroy(&arena);
    return 0;
}

static void
statements_know_their_range(void **state)
{
    (void)state;
    const char *text = " ; select 1 ; /* c */ insert into t values (';') -- end\n ;;";
    struct ast_list *list = parse_all(text);
    assert_int_equal(list->count, 2);
    const struct ast_statement *one = ast_as_statement(list->items[0]);
    const struct ast_statement *two = ast_as_statement(list->items[1]);
    assert_memory_equal(text + one->start, "select 1", (size_t)one->size);
    assert_memory_equal(text + two->start, "insert into t values (';')", (size_t)two->size);
    assert_int_equal(one->size, 8);
    assert_int_equal(two->size, 26);
    assert_int_equal(parse_all(" -- nothing\n;")->count, 0);
}

static void
errors_name_token_and_character(void **state)
{
    (void)state;
    refuse("select * from", ERR_SYNTAX, 14, "syntax error at end of input");
    refuse("select 'é' fro m x", ERR_SYNTAX, 16, "syntax error at or near \"m\"");
    refuse("insert into ;", ERR_SYNTAX, 13, "syntax error at or near \";\"");
    refuse("select 'abc", ERR_SYNTAX, 8, "unterminated quoted string at or near \"'abc\"");
    refuse(
        "select 123abc", ERR_SYNTAX, 8, "trailing junk after numeric literal at or near \"123a\"");
    refuse("select \xff", ERR_NOT_IN_REPERTOIRE, 0,
        "invalid byte sequence for encoding \"UTF8\": 0xff");
    refuse("select '\xe9t'", ERR_NOT_IN_REPERTOIRE, 0,
        "invalid byte sequence for encoding \"UTF8\": 0xe9 0x74 0x27");
    refuse("select $0", ERR_UNDEFINED_PARAMETER, 8, "there is no parameter $0");
    struct ast_list *list;
    assert_int_equal(parser_parse(&arena, "select 1\0", 9, &list, &diag), ERR_NOT_IN_REPERTOIRE);
}

static void
identifiers_fold_and_are_cut(void **state)
{
    (void)state;
    const struct ast_column *column = ast_as_column(expression("FooBar.\"FooBar\""));
    assert_string_equal(column->parts[0], "foobar");
    assert_string_equal(column->parts[1], "FooBar");
    column = ast_as_column(expression("\"a\"\"b\""));
    assert_string_equal(column->parts[0], "a\"b");
    /* 62 letters and a two-byte character: the 63rd byte would be half of it. */
    char name[70];
    memset(name, 'x', 62);
    memcpy(name + 62, "\xc3\xa9zz", 5);
    column = ast_as_column(expression(name));
    assert_int_equal(strlen(column->parts[0]), 62);
}

static void
numbers_have_postgresqls_types(void **state)
{
    (void)state;
    const struct ast_const *number = ast_as_const(expression("-2147483648"));
    assert_int_equal(number->kind, AST_CONST_INTEGER);
    assert_int_equal(number->integer, INT32_MIN);
    number = ast_as_const(expression("-9223372036854775808"));
    assert_int_equal(number->kind, AST_CONST_INTEGER);
    assert_true(number->integer == INT64_MIN);
    number = ast_as_const(expression("9223372036854775808"));
    assert_int_equal(number->kind, AST_CONST_NUMERIC);
    number = ast_as_const(expression("- 1.50"));
    assert_int_equal(number->kind, AST_CONST_NUMERIC);
    assert_string_equal(number->text, "-1.50");
    assert_int_equal(number->size, 5);
    number = ast_as_const(expression("- - 5"));
    assert_int_equal(number->integer, 5);
}

static void
strings_resolve_their_escapes(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *value;
    } cases[] = {
        {"'a''b'", "a'b"},
        {"E'a\\'b\\n\\x41\\101\\u00e9\\U0001F600'", "a'b\nAA\xc3\xa9\xf0\x9f\x98\x80"},
        {"E'\\uD83D\\uDE00'", "\xf0\x9f\x98\x80"},
        {"'a\\b'", "a\\b"},
        {"$$a'b$$", "a'b"},
        {"$x$a$$b$x$", "a$$b"},
        {"'a'\n -- c\n 'b'", "ab"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ast_const *constant = ast_as_const(expression(cases[i].text));
        assert_string_equal(constant->text, cases[i].value);
        assert_int_equal(constant->size, strlen(cases[i].value));
    }
    refuse("select E'\\u00'", ERR_INVALID_ESCAPE_SEQUENCE, 10, "invalid Unicode escape");
    refuse("select E'\\xff'", ERR_NOT_IN_REPERTOIRE, 0,
        "invalid byte sequence for encoding \"UTF8\": 0xff");
}

static void
precedence_is_postgresqls(void **state)
{
    (void)state;
    /* not (a = (b + (c * d))) or ... */
    const struct ast_bool * or = ast_as_bool(expression("not a = b + c * d or e and f"));
    assert_int_equal(or->kind, AST_BOOL_OR);
    const struct ast_bool *not = ast_as_bool(or->list->items[0]);
    assert_int_equal(not ->kind, AST_BOOL_NOT);
    const struct ast_op *equal = ast_as_op(not ->list->items[0]);
    assert_string_equal(equal->name, "=");
    const struct ast_op *plus = ast_as_op(equal->right);
    assert_string_equal(plus->name, "+");
    assert_string_equal(ast_as_op(plus->right)->name, "*");
    /* user-defined operators bind looser than + and tighter than < */
    const struct ast_op *less = ast_as_op(expression("a || b + c < d"));
    assert_string_equal(less->name, "<");
    assert_string_equal(ast_as_op(less->left)->name, "||");
    /* a::t binds tighter than minus, which belongs to numbers alone */
    const struct ast_op *minus = ast_as_op(expression("-1::int"));
    assert_null(minus->left);
    assert_int_equal(minus->right->kind, AST_CAST);
    /* 2 - 1 - 1 is from the left, ^ too */
    assert_int_equal(ast_as_op(ast_as_op(expression("2 - 1 - 1"))->left)->node.kind, AST_OP);
    const struct ast_between *between = ast_as_between(expression("a between 1 and 2"));
    assert_false(between->negated);
    assert_int_equal(ast_as_bool(expression("a not between 1 and 2 and b"))->list->count, 2);
}

static void
chains_of_and_are_one_level(void **state)
{
    (void)state;
    enum {
        TERMS = 20000,
    };
    struct buffer text = {0};
    for (int i = 0; i < TERMS; i++) {
        buffer_add_text(&text, i == 0 ? "a = 1" : " and a = 1");
    }
    buffer_add_u8(&text, 0);
    const struct ast_bool *chain = ast_as_bool(expression((const char *)text.data));
    assert_int_equal(chain->list->count, TERMS);
    assert_true(chain->node.depth <= 4);
    buffer_destroy(&text);
}

/* Whatever nests, nests up to a bound, and then it is an error. */
static void
nesting_is_bounded(void **state)
{
    (void)state;
    const struct {
        const char *head, *piece, *tail;
    } cases[] = {{"select ", "(", ""}, {"select ", "(1+", ""}, {"select ", "- ", "a"},
        {"select ", "not ", "a"}, {"select 1", " + 1", ""}, {"select ", "f(", "1"},
        {"select a", "[a", ""}, {"select 1", " union select 1", ""},
        {"select * from a", " cross join b", ""}, {"select ", "case when ", "1"},
        {"select 1", "::int", ""}, {"select ", "(select ", "1"}, {"select ", "array[", "1"},
        {"select 1 from ", "(select 1 from ", "x"}, {"", "(", "select 1"}};
    enum {
        PIECES = 30000,
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer text = {0};
        buffer_add_text(&text, cases[i].head);
        for (int k = 0; k < PIECES; k++) {
            buffer_add_text(&text, cases[i].piece);
        }
        buffer_add_text(&text, cases[i].tail);
        struct ast_list *list;
        enum err err = parser_parse(&arena, (char *)text.data, text.size, &list, &diag);
        if (err != ERR_STATEMENT_TOO_COMPLEX) {
            fail_msg("%s: %s", cases[i].piece, err == ERR_OK ? "accepted" : diag.message);
        }
        buffer_destroy(&text);
        arena_reset(&arena);
    }
    char *parens = mem_alloc(1 << 20);
    memset(parens, '(', 1 << 20);
    struct ast_list *list;
    assert_int_equal(
        parser_parse(&arena, parens, 1 << 20, &list, &diag), ERR_STATEMENT_TOO_COMPLEX);
    mem_free(parens);
    /* and well below it is none */
    struct buffer text = {0};
    buffer_add_text(&text, "select 1");
    for (int k = 0; k < 450; k++) {
        buffer_add_text(&text, " + 1");
    }
    buffer_add_u8(&text, 0);
    parse((const char *)text.data);
    buffer_destroy(&text);
}

static void
select_has_its_clauses(void **state)
{
    (void)state;
    const struct ast_select *select = ast_as_select(
        parse("with w as (select 1) select distinct on (a) a, b as c, t.* from t left join u using "
              "(x) where a > 1 group by a having count(*) > 1 order by a desc nulls last limit 5 "
              "offset 2 for update of t skip locked"));
    assert_int_equal(select->with.ctes->count, 1);
    assert_int_equal(select->distinct, AST_DISTINCT_ON);
    assert_int_equal(select->targets->count, 3);
    assert_string_equal(ast_as_target(select->targets->items[1])->name, "c");
    const struct ast_join *join = ast_as_join(select->from->items[0]);
    assert_int_equal(join->kind, AST_JOIN_LEFT);
    assert_int_equal(join->using_columns->count, 1);
    assert_int_equal(select->group->count, 1);
    const struct ast_sort *sort = ast_as_sort(select->order->items[0]);
    assert_int_equal(sort->order, AST_SORT_DESC);
    assert_int_equal(sort->nulls, AST_NULLS_LAST);
    assert_int_equal(ast_as_const(select->limit)->integer, 5);
    const struct ast_locking *locking = ast_as_locking(select->locking->items[0]);
    assert_int_equal(locking->wait, AST_LOCK_SKIP);
    assert_int_equal(locking->strength, AST_LOCK_UPDATE);

    select = ast_as_select(parse("select 1 union all select 2 intersect select 3"));
    assert_int_equal(select->op, AST_SET_UNION);
    assert_true(select->all);
    assert_int_equal(select->right->op, AST_SET_INTERSECT);
}

static void
definitions_keep_the_text_of_expressions(void **state)
{
    (void)state;
    const char *text =
        "create table t (a int default  1 + 2 not null, check ( a > 0 /* c */ ), primary key (a))";
    const struct ast_create_table *create = ast_as_create_table(parse(text));
    const struct ast_column_def *column = ast_as_column_def(create->elements->items[0]);
    const struct ast_constraint *constraint = ast_as_constraint(column->constraints->items[0]);
    assert_int_equal(constraint->kind, AST_CONSTRAINT_DEFAULT);
    assert_int_equal(constraint->expr_size, 5);
    assert_memory_equal(text + constraint->expr_start, "1 + 2", 5);
    assert_int_equal(
        ast_as_constraint(column->constraints->items[1])->kind, AST_CONSTRAINT_NOT_NULL);
    constraint = ast_as_constraint(create->elements->items[1]);
    assert_int_equal(constraint->expr_size, 5);
    assert_memory_equal(text + constraint->expr_start, "a > 0", 5);

    text = "create view v as select 1  with check option";
    const struct ast_create_view *view = ast_as_create_view(parse(text));
    assert_int_equal(view->query_size, 8);
    assert_memory_equal(text + view->query_start, "select 1", 8);
    assert_string_equal(view->check_option, "cascaded");
}

static void
unknown_commands_are_refused_by_name(void **state)
{
    (void)state;
    struct ast_list *list =
        parse_all("create or replace trigger f before insert on t execute function g(); select 1");
    assert_int_equal(list->count, 2);
    const struct ast_unsupported *node = ast_as_unsupported(ast_as_statement(list->items[0])->body);
    assert_string_equal(node->what, "CREATE TRIGGER");
    list =
        parse_all("create procedure f() begin atomic select case when true then 1 end; select 2; "
                  "end; select 1");
    assert_int_equal(list->count, 2);
    assert_int_equal(ast_as_statement(list->items[0])->body->kind, AST_CREATE_FUNCTION);
    refuse("alter type t add attribute x int", ERR_FEATURE_NOT_SUPPORTED, 18,
        "this form of ALTER TYPE is not supported");
}

static void
normalized(const char *text, enum parser_normal kind, const char *expected)
{
    char to[2048];
    static struct parser_normalized result;
    parser_normalize(text, strlen(text), to, sizeof to, &result);
    if (result.kind != kind) {
        fail_msg("%s: kind %d", text, (int)result.kind);
    }
    if (expected != NULL) {
        char got[2048];
        size_t size = 0;
        memcpy(got, result.text, result.size);
        size = result.size;
        for (uint32_t i = 0; i < result.literal_count; i++) {
            got[size++] = '|';
            memcpy(got + size, result.literals[i].text, result.literals[i].size);
            size += result.literals[i].size;
        }
        got[size] = '\0';
        assert_string_equal(got, expected);
    }
}

static void
literals_become_parameters(void **state)
{
    (void)state;
    enum parser_normal lifted = PARSER_NORMAL_LIFTED;
    normalized("UPDATE a SET b = b + -12 WHERE c = 3;", lifted,
        "UPDATE a SET b = b + -$1 WHERE c = $2|12|3");
    normalized("insert into t values (1, 'a''b', 2.5, null)", lifted,
        "insert into t values ($1, $2, $3, null)|1|a'b|2.5");
    normalized("select a from t where b in (1, 'x') and c = f(2) limit 3", lifted,
        "select a from t where b in ($1, $2) and c = f($3) limit $4|1|x|2|3");
    normalized(" /* c */ select 'x'; -- end", lifted, "select $1|x");
    normalized("select.5, a", lifted, "select $1, a|.5");
    normalized("select 3000000000, 99999999999999999999", lifted,
        "select $1, 99999999999999999999|3000000000");
}

static void
literals_with_a_meaning_of_their_own_stay(void **state)
{
    (void)state;
    enum parser_normal verbatim = PARSER_NORMAL_VERBATIM;
    static const char *const stay[] = {"select a from t order by 1, 2 desc",
        "select a::numeric(10,2), cast(b as varchar(5)) from t",
        "select date '2020-01-01', interval '1' day, timestamp(3) 'x', char 'x'",
        "select a from t where b like 'x%' or c ~ 'y' or d ilike 'z' escape '!'",
        "select nextval('s'), a[1], (array[1, 2])[1]", "select a from t fetch first 5 rows only",
        "select 2147483648", "insert into t select a from u on conflict (a) where a > 5 do nothing",
        "select a + 1 from t group by a + 1", "select distinct a + 1 from t order by a + 1",
        "select substring(a similar b escape E'x'), E'\\n', $$x$$, B'1', X'1'"};
    for (size_t i = 0; i < sizeof stay / sizeof stay[0]; i++) {
        normalized(stay[i], verbatim, stay[i]);
    }
    static const char *const no[] = {"begin", "select 1; select 2", "select $1", "select 'x",
        "select 1 into t", "", "create table t (a int)", "with a as (select 1) select 2"};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        normalized(no[i], PARSER_NORMAL_NO, NULL);
    }
    normalized("select f(1) from t group by 2", verbatim, NULL);
    normalized("select (select a from t order by 1) + 2", PARSER_NORMAL_LIFTED,
        "select (select a from t order by 1) + $1|2");
}

static void
identifiers_are_quoted_when_they_must(void **state)
{
    (void)state;
    assert_string_equal(parser_quote_ident(&arena, "abc_1"), "abc_1");
    assert_string_equal(parser_quote_ident(&arena, "Abc"), "\"Abc\"");
    assert_string_equal(parser_quote_ident(&arena, "select"), "\"select\"");
    assert_string_equal(parser_quote_ident(&arena, "name"), "name");
    assert_string_equal(parser_quote_ident(&arena, "a\"b"), "\"a\"\"b\"");
    assert_string_equal(parser_quote_ident(&arena, "1a"), "\"1a\"");
    assert_string_equal(parser_quote_literal(&arena, "a'b", 3), "'a''b'");
    assert_string_equal(parser_quote_literal(&arena, "a\\b", 3), " E'a\\\\b'");
    size_t count;
    const struct parser_keyword *keywords = parser_keywords(&count);
    assert_int_equal(count, 460);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(
            parser_keyword_class(keywords[i].word, strlen(keywords[i].word)), keywords[i].class);
    }
    assert_int_equal(parser_keyword_class("selec", 5), PARSER_NOT_A_KEYWORD);
    assert_int_equal(parser_keyword_class("current_tisestamp", 17), PARSER_NOT_A_KEYWORD);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(statements_know_their_range, begin, end),
        cmocka_unit_test_setup_teardown(errors_name_token_and_character, begin, end),
        cmocka_unit_test_setup_teardown(identifiers_fold_and_are_cut, begin, end),
        cmocka_unit_test_setup_teardown(numbers_have_postgresqls_types, begin, end),
        cmocka_unit_test_setup_teardown(strings_resolve_their_escapes, begin, end),
        cmocka_unit_test_setup_teardown(precedence_is_postgresqls, begin, end),
        cmocka_unit_test_setup_teardown(chains_of_and_are_one_level, begin, end),
        cmocka_unit_test_setup_teardown(nesting_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(select_has_its_clauses, begin, end),
        cmocka_unit_test_setup_teardown(definitions_keep_the_text_of_expressions, begin, end),
        cmocka_unit_test_setup_teardown(unknown_commands_are_refused_by_name, begin, end),
        cmocka_unit_test_setup_teardown(literals_become_parameters, begin, end),
        cmocka_unit_test_setup_teardown(literals_with_a_meaning_of_their_own_stay, begin, end),
        cmocka_unit_test_setup_teardown(identifiers_are_quoted_when_they_must, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
