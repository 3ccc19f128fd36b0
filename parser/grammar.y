/*
 * parser/grammar.y - PostgreSQL 15's syntax, as far as we have it, for Lemon.
 *
 * Rules of the house:
 *   - An action is one line where it can be; what is longer lives in build.c.
 *   - Keywords that may be names are listed in the four classes at the end (written by
 *     tools/keywords.py), never by %fallback: with Lemon's compressed tables a fallback can win
 *     over a keyword that the state knows.
 *   - NOT, NULLS and WITH arrive as NOT_LA, NULLS_LA, WITH_LA where the feeder (parser.c) has seen
 *     what follows; that is what keeps the grammar LALR(1).
 *   - Lemon takes a rule's precedence from its first terminal; where PostgreSQL means another, the
 *     rule says [TOKEN].
 */
%name parser__lemon
%token_prefix TK_
%token_type {struct parser_token}
%default_type {struct ast_node *}
%extra_argument {struct parser *p}
%start_symbol start
%stack_size 1800

%include {
#include <string.h>

#include "parser/grammar.h"

#include "parser/parser_internal.h"

#define YYNOERRORRECOVERY 1
#define YYFREE(x)

struct grammar_alias {
    struct parser_token name;
    struct ast_list *columns;
    struct ast_list *defs;
};

#define NODE(x) ((struct ast_node *)(x))
#define HERE(token) ((token).location)
}

%code {
_Static_assert(YYSTACKDEPTH == PARSER_STACK_MAX, "a preprocessor cannot see the enum");

/* One machine a thread: parsing never sleeps, so it is never used by two tasks at once, and a parse
 * does not have to find and return 56 KiB. */
static _Thread_local yyParser thread_machine;

void *
parser__machine(void)
{
    return &thread_machine;
}

void
parser__machine_start(void *machine, struct parser *p)
{
    (void)p;
    parser__lemonInit(machine);
}

void
parser__machine_feed(void *machine, int token, struct parser_token value, struct parser *p)
{
    parser__lemon(machine, token, value, p);
}
}

%syntax_error { if (p->err == ERR_OK) { p->err = ERR_SYNTAX; p->unfinished = true; } }
%stack_overflow {
    parser__fail(p, (int32_t)p->current.start, ERR_STATEMENT_TOO_COMPLEX,
        "statement is nested too deeply");
}

/* ---- precedence, lowest first ---------------------------------------------------------------- */

%nonassoc EMPTY.
%nonassoc IF SET.
%left UNION EXCEPT.
%left INTERSECT.
%left OR.
%left AND.
%right NOT.
%nonassoc IS ISNULL NOTNULL.
%nonassoc LT GT EQ LE GE NE.
%nonassoc BETWEEN IN LIKE ILIKE SIMILAR NOT_LA.
%nonassoc ESCAPE.
%nonassoc UNBOUNDED.
%nonassoc IDENT PARTITION RANGE ROWS GROUPS PRECEDING FOLLOWING CUBE ROLLUP.
%left OP OPERATOR.
%left PLUS MINUS.
%left STAR SLASH PERCENT.
%left CARET.
%left AT.
%left COLLATE.
%right UMINUS.
%left LB RB.
%left LP RP.
%left TYPECAST.
%left DOT.
%left JOIN CROSS LEFT FULL RIGHT INNER NATURAL.

/* ---- what is parsed -------------------------------------------------------------------------- */

start ::= stmt(S). { p->result = S; }
start ::= MODE_EXPR a_expr(E). { p->result = E; }
start ::= MODE_TYPE typename(T). { p->result = NODE(T); }

stmt(A) ::= select_stmt(S). { A = parser__select_statement(p, S); }
stmt(A) ::= dml_stmt(S). { A = S; }
stmt(A) ::= utility_stmt(S). { A = S; }

%type query_stmt {struct ast_node *}
query_stmt(A) ::= select_stmt(S). { A = NODE(S); }
query_stmt(A) ::= dml_stmt(S). { A = S; }

dml_stmt(A) ::= insert_stmt(S). { A = S; }
dml_stmt(A) ::= update_stmt(S). { A = S; }
dml_stmt(A) ::= delete_stmt(S). { A = S; }

/* ---- names ----------------------------------------------------------------------------------- */

%type col_id {struct parser_token}
col_id(A) ::= IDENT(T). { A = T; }
col_id(A) ::= unreserved_keyword(T). { A = T; }
col_id(A) ::= col_name_keyword(T). { A = T; }

%type type_function_name {struct parser_token}
type_function_name(A) ::= IDENT(T). { A = T; }
type_function_name(A) ::= unreserved_keyword(T). { A = T; }
type_function_name(A) ::= type_func_name_keyword(T). { A = T; }

%type non_reserved_word {struct parser_token}
non_reserved_word(A) ::= IDENT(T). { A = T; }
non_reserved_word(A) ::= unreserved_keyword(T). { A = T; }
non_reserved_word(A) ::= col_name_keyword(T). { A = T; }
non_reserved_word(A) ::= type_func_name_keyword(T). { A = T; }

%type col_label {struct parser_token}
col_label(A) ::= IDENT(T). { A = T; }
col_label(A) ::= unreserved_keyword(T). { A = T; }
col_label(A) ::= col_name_keyword(T). { A = T; }
col_label(A) ::= type_func_name_keyword(T). { A = T; }
col_label(A) ::= reserved_keyword(T). { A = T; }

%type bare_col_label {struct parser_token}
bare_col_label(A) ::= IDENT(T). { A = T; }
bare_col_label(A) ::= bare_label_keyword(T). { A = T; }

%type name_list {struct ast_list *}
name_list(A) ::= col_id(N). { A = parser__list(p, parser__name(p, N)); }
name_list(A) ::= name_list(L) COMMA col_id(N). { A = parser__append(p, L, parser__name(p, N)); }

%type opt_name_list {struct ast_list *}
opt_name_list(A) ::= . { A = NULL; }
opt_name_list(A) ::= LP name_list(L) RP. { A = L; }

%type attrs {struct ast_list *}
attrs(A) ::= DOT col_label(N). { A = parser__list(p, parser__name(p, N)); }
attrs(A) ::= attrs(L) DOT col_label(N). { A = parser__append(p, L, parser__name(p, N)); }

%type any_name {struct parser_any_name *}
any_name(A) ::= col_id(N). { A = parser__any_name(p, N); }
any_name(A) ::= col_id(N) attrs(L). { A = parser__any_name_of(p, N, L); }

%type qualified_name {struct ast_table *}
qualified_name(A) ::= col_id(N). { A = parser__table(p, parser__any_name(p, N)); }
qualified_name(A) ::= col_id(N) indirection(I). { A = parser__table(p, parser__any_name_of(p, N, I)); }

%type qualified_name_list {struct ast_list *}
qualified_name_list(A) ::= qualified_name(T). { A = parser__list(p, T); }
qualified_name_list(A) ::= qualified_name_list(L) COMMA qualified_name(T). { A = parser__append(p, L, T); }

%type opt_cascade {bool}
opt_cascade(A) ::= . { A = false; }
opt_cascade(A) ::= CASCADE. { A = true; }
opt_cascade(A) ::= RESTRICT. { A = false; }

%type if_exists {bool}
if_exists(A) ::= . [EMPTY] { A = false; }
if_exists(A) ::= IF EXISTS. { A = true; }

%type if_not_exists {bool}
if_not_exists(A) ::= . [EMPTY] { A = false; }
if_not_exists(A) ::= IF NOT EXISTS. { A = true; }

/* Where the text of the next, or of the last, token begins, or ends. */
%type mark {int32_t}
mark(A) ::= . { A = (int32_t)p->current.start; }

%type signed_iconst {int32_t}
signed_iconst(A) ::= ICONST(N). { A = parser__int32(p, N); }
signed_iconst(A) ::= PLUS ICONST(N). { A = parser__int32(p, N); }
signed_iconst(A) ::= MINUS ICONST(N). { A = -parser__int32(p, N); }

numeric_only(A) ::= number(N). { A = N; }
numeric_only(A) ::= PLUS number(N). { A = N; }
numeric_only(A) ::= MINUS(O) number(N). { A = parser__negate(p, N, HERE(O)); }
number(A) ::= ICONST(N). { A = parser__integer(p, N); }
number(A) ::= FCONST(N). { A = parser__numeric(p, N); }

/* ---- SELECT ---------------------------------------------------------------------------------- */

%type select_stmt {struct ast_select *}
%type select_with_parens {struct ast_select *}
%type select_no_parens {struct ast_select *}
%type select_clause {struct ast_select *}
%type simple_select {struct ast_select *}

select_stmt(A) ::= select_no_parens(S). [UMINUS] { A = S; }
select_stmt(A) ::= select_with_parens(S). [UMINUS] { A = S; }

select_with_parens(A) ::= LP(K) select_no_parens(S) RP. { A = S; A->paren = HERE(K); }
select_with_parens(A) ::= LP(K) select_with_parens(S) RP. { A = S; A->paren = HERE(K); }

select_no_parens(A) ::= simple_select(S). { A = S; }
select_no_parens(A) ::= select_clause(S) sort_clause(O). { A = parser__select_clauses(p, S, NULL, O, NULL, NULL); }
select_no_parens(A) ::= select_clause(S) opt_sort_clause(O) locking_clause(K) opt_select_limit(L). { A = parser__select_clauses(p, S, NULL, O, L, K); }
select_no_parens(A) ::= select_clause(S) opt_sort_clause(O) select_limit(L) opt_locking_clause(K). { A = parser__select_clauses(p, S, NULL, O, L, K); }
select_no_parens(A) ::= with_clause(W) select_clause(S). { A = parser__select_clauses(p, S, W, NULL, NULL, NULL); }
select_no_parens(A) ::= with_clause(W) select_clause(S) sort_clause(O). { A = parser__select_clauses(p, S, W, O, NULL, NULL); }
select_no_parens(A) ::= with_clause(W) select_clause(S) opt_sort_clause(O) locking_clause(K) opt_select_limit(L). { A = parser__select_clauses(p, S, W, O, L, K); }
select_no_parens(A) ::= with_clause(W) select_clause(S) opt_sort_clause(O) select_limit(L) opt_locking_clause(K). { A = parser__select_clauses(p, S, W, O, L, K); }

select_clause(A) ::= simple_select(S). { A = S; }
select_clause(A) ::= select_with_parens(S). { A = S; }

simple_select(A) ::= SELECT(K) opt_all opt_target_list(T) into_clause(I) from_clause(F) where_clause(W) group_clause(G) having_clause(H) window_clause(N). {
    A = NEW(AST_SELECT, select, HERE(K));
    A->targets = T; A->into = I; A->from = F; A->where = W; A->having = H; A->windows = N;
    A->group = G.list; A->group_distinct = G.distinct;
    parser__select_finish(p, A);
}
simple_select(A) ::= SELECT(K) distinct_clause(D) target_list(T) into_clause(I) from_clause(F) where_clause(W) group_clause(G) having_clause(H) window_clause(N). {
    A = NEW(AST_SELECT, select, HERE(K));
    A->distinct = ast_list_count(D) != 0 ? AST_DISTINCT_ON : AST_DISTINCT_ROW;
    A->distinct_on = D;
    A->targets = T; A->into = I; A->from = F; A->where = W; A->having = H; A->windows = N;
    A->group = G.list; A->group_distinct = G.distinct;
    parser__select_finish(p, A);
}
simple_select(A) ::= values_clause(V). { A = V; }
simple_select(A) ::= TABLE(K) relation_expr(T). {
    struct ast_column *star = NEW(AST_COLUMN, column, -1);
    star->star = true;
    A = NEW(AST_SELECT, select, HERE(K));
    A->targets = parser__list(p, parser__target(p, NULL, NODE(star), -1));
    A->from = parser__list(p, T);
    parser__select_finish(p, A);
}
simple_select(A) ::= select_clause(L) UNION(O) set_quantifier(Q) select_clause(R). { A = parser__set_operation(p, AST_SET_UNION, Q, L, R, HERE(O)); }
simple_select(A) ::= select_clause(L) INTERSECT(O) set_quantifier(Q) select_clause(R). { A = parser__set_operation(p, AST_SET_INTERSECT, Q, L, R, HERE(O)); }
simple_select(A) ::= select_clause(L) EXCEPT(O) set_quantifier(Q) select_clause(R). { A = parser__set_operation(p, AST_SET_EXCEPT, Q, L, R, HERE(O)); }

%type set_quantifier {bool}
set_quantifier(A) ::= . { A = false; }
set_quantifier(A) ::= ALL. { A = true; }
set_quantifier(A) ::= DISTINCT. { A = false; }

opt_all ::= .
opt_all ::= ALL.

/* Without ON an empty list. */
%type distinct_clause {struct ast_list *}
distinct_clause(A) ::= DISTINCT. { A = parser__list(p, NULL); }
distinct_clause(A) ::= DISTINCT ON LP expr_list(L) RP. { A = L; }

%type values_clause {struct ast_select *}
values_clause(A) ::= VALUES(K) LP(O) expr_list(L) RP. {
    A = NEW(AST_SELECT, select, HERE(K));
    A->values = parser__list(p, parser__row(p, false, L, HERE(O)));
    parser__above_list(p, A, A->values);
}
values_clause(A) ::= values_clause(V) COMMA LP(O) expr_list(L) RP. {
    A = V;
    struct ast_node *row = parser__row(p, false, L, HERE(O));
    parser__append(p, A->values, row);
    parser__above(p, A, row);
}

%type into_clause {struct ast_table *}
into_clause(A) ::= . { A = NULL; }
into_clause(A) ::= INTO into_target(T). { A = T; }

/* The persistence is left in `only` (temporary) and `sample` (unlogged), of which it has neither. */
%type into_target {struct ast_table *}
into_target(A) ::= temporary opt_table qualified_name(T). { A = T; A->only = true; }
into_target(A) ::= UNLOGGED opt_table qualified_name(T). { A = T; A->sample = true; }
into_target(A) ::= TABLE qualified_name(T). { A = T; }
into_target(A) ::= qualified_name(T). { A = T; }
opt_table ::= .
opt_table ::= TABLE.
temporary ::= TEMP.
temporary ::= TEMPORARY.
temporary ::= LOCAL TEMP.
temporary ::= LOCAL TEMPORARY.
temporary ::= GLOBAL TEMP.
temporary ::= GLOBAL TEMPORARY.

%type with_clause {struct ast_with *}
with_clause(A) ::= WITH(K) cte_list(L). {
    A = arena_alloc(p->arena, sizeof *A);
    A->ctes = L; A->location = HERE(K);
}
with_clause(A) ::= WITH_LA(K) cte_list(L). {
    A = arena_alloc(p->arena, sizeof *A);
    A->ctes = L; A->location = HERE(K);
}
with_clause(A) ::= WITH(K) RECURSIVE cte_list(L). {
    A = arena_alloc(p->arena, sizeof *A);
    A->ctes = L; A->location = HERE(K); A->recursive = true;
}

%type cte_list {struct ast_list *}
cte_list(A) ::= cte(C). { A = parser__list(p, C); }
cte_list(A) ::= cte_list(L) COMMA cte(C). { A = parser__append(p, L, C); }

cte(A) ::= col_id(N) opt_name_list(L) AS opt_materialized(M) LP query_stmt(S) RP. {
    struct ast_cte *cte = NEW(AST_CTE, cte, HERE(N));
    cte->name = N.text; cte->columns = L; cte->materialized = M; cte->query = S;
    parser__above(p, cte, S);
    A = NODE(cte);
}
%type opt_materialized {int8_t}
opt_materialized(A) ::= . { A = -1; }
opt_materialized(A) ::= MATERIALIZED. { A = 1; }
opt_materialized(A) ::= NOT MATERIALIZED. { A = 0; }

%type opt_with_clause {struct ast_with *}
opt_with_clause(A) ::= . { A = NULL; }
opt_with_clause(A) ::= with_clause(W). { A = W; }

%type opt_target_list {struct ast_list *}
opt_target_list(A) ::= . { A = NULL; }
opt_target_list(A) ::= target_list(L). { A = L; }
%type target_list {struct ast_list *}
target_list(A) ::= target_el(T). { A = parser__list(p, T); }
target_list(A) ::= target_list(L) COMMA target_el(T). { A = parser__append(p, L, T); }
target_el(A) ::= a_expr(E) AS col_label(N). { A = parser__target(p, N.text, E, E->location); }
target_el(A) ::= a_expr(E) bare_col_label(N). { A = parser__target(p, N.text, E, E->location); }
target_el(A) ::= a_expr(E). { A = parser__target(p, NULL, E, E->location); }
target_el(A) ::= STAR(S). {
    struct ast_column *star = NEW(AST_COLUMN, column, HERE(S));
    star->star = true;
    A = parser__target(p, NULL, NODE(star), HERE(S));
}

%type opt_sort_clause {struct ast_list *}
opt_sort_clause(A) ::= . { A = NULL; }
opt_sort_clause(A) ::= sort_clause(L). { A = L; }
%type sort_clause {struct ast_list *}
sort_clause(A) ::= ORDER BY sort_list(L). { A = L; }
%type sort_list {struct ast_list *}
sort_list(A) ::= sort_by(S). { A = parser__list(p, S); }
sort_list(A) ::= sort_list(L) COMMA sort_by(S). { A = parser__append(p, L, S); }
sort_by(A) ::= a_expr(E) USING qual_all_op(O) nulls_order(N). {
    struct ast_sort *sort = NEW(AST_SORT, sort, O->location);
    sort->expr = E; sort->order = AST_SORT_USING; sort->using_op = O->name; sort->nulls = N;
    parser__above(p, sort, E);
    A = NODE(sort);
}
sort_by(A) ::= a_expr(E) asc_desc(D) nulls_order(N). {
    struct ast_sort *sort = NEW(AST_SORT, sort, E->location);
    sort->expr = E; sort->order = D; sort->nulls = N;
    parser__above(p, sort, E);
    A = NODE(sort);
}
%type asc_desc {enum ast_sort_order}
asc_desc(A) ::= . { A = AST_SORT_DEFAULT; }
asc_desc(A) ::= ASC. { A = AST_SORT_ASC; }
asc_desc(A) ::= DESC. { A = AST_SORT_DESC; }
%type nulls_order {enum ast_nulls}
nulls_order(A) ::= . { A = AST_NULLS_DEFAULT; }
nulls_order(A) ::= NULLS_LA FIRST. { A = AST_NULLS_FIRST; }
nulls_order(A) ::= NULLS_LA LAST. { A = AST_NULLS_LAST; }

%type select_limit {struct parser_limit *}
select_limit(A) ::= limit_clause(L) offset_clause(O). { A = L; A->offset = O; }
select_limit(A) ::= offset_clause(O) limit_clause(L). { A = L; A->offset = O; }
select_limit(A) ::= limit_clause(L). { A = L; }
select_limit(A) ::= offset_clause(O). { A = arena_alloc(p->arena, sizeof *A); A->offset = O; }
%type opt_select_limit {struct parser_limit *}
opt_select_limit(A) ::= . { A = NULL; }
opt_select_limit(A) ::= select_limit(L). { A = L; }
%type limit_clause {struct parser_limit *}
limit_clause(A) ::= LIMIT a_expr(E). { A = arena_alloc(p->arena, sizeof *A); A->limit = E; }
limit_clause(A) ::= LIMIT ALL. { A = arena_alloc(p->arena, sizeof *A); }
limit_clause(A) ::= LIMIT(K) a_expr COMMA a_expr. {
    A = arena_alloc(p->arena, sizeof *A);
    parser__fail(p, HERE(K), ERR_SYNTAX, "LIMIT #,# syntax is not supported");
    diag_hint(p->diag, "Use separate LIMIT and OFFSET clauses.");
}
limit_clause(A) ::= FETCH first_or_next fetch_count(E) row_or_rows ONLY. { A = arena_alloc(p->arena, sizeof *A); A->limit = E; }
limit_clause(A) ::= FETCH first_or_next fetch_count(E) row_or_rows WITH TIES. { A = arena_alloc(p->arena, sizeof *A); A->limit = E; A->with_ties = true; }
limit_clause(A) ::= FETCH(K) first_or_next row_or_rows ONLY. {
    A = arena_alloc(p->arena, sizeof *A);
    A->limit = parser__integer(p, (struct parser_token){"1", 1, HERE(K)});
}
limit_clause(A) ::= FETCH(K) first_or_next row_or_rows WITH TIES. {
    A = arena_alloc(p->arena, sizeof *A); A->with_ties = true;
    A->limit = parser__integer(p, (struct parser_token){"1", 1, HERE(K)});
}
fetch_count(A) ::= c_expr(E). { A = E; }
fetch_count(A) ::= PLUS number(N). { A = N; }
fetch_count(A) ::= MINUS(O) number(N). { A = parser__negate(p, N, HERE(O)); }
offset_clause(A) ::= OFFSET a_expr(E). { A = E; }
offset_clause(A) ::= OFFSET fetch_count(E) row_or_rows. { A = E; }
first_or_next ::= FIRST.
first_or_next ::= NEXT.
row_or_rows ::= ROW.
row_or_rows ::= ROWS.

%type opt_locking_clause {struct ast_list *}
opt_locking_clause(A) ::= . { A = NULL; }
opt_locking_clause(A) ::= locking_clause(L). { A = L; }
%type locking_clause {struct ast_list *}
locking_clause(A) ::= locking_items(L). { A = L; }
locking_clause(A) ::= FOR READ ONLY. { A = NULL; }
%type locking_items {struct ast_list *}
locking_items(A) ::= locking_item(I). { A = parser__list(p, I); }
locking_items(A) ::= locking_items(L) locking_item(I). { A = parser__append(p, L, I); }
locking_item(A) ::= FOR(K) lock_strength(S) locked_tables(T) lock_wait(W). {
    struct ast_locking *locking = NEW(AST_LOCKING, locking, HERE(K));
    locking->strength = S; locking->tables = T; locking->wait = W;
    A = NODE(locking);
}
%type lock_strength {enum ast_lock_strength}
lock_strength(A) ::= UPDATE. { A = AST_LOCK_UPDATE; }
lock_strength(A) ::= NO KEY UPDATE. { A = AST_LOCK_NO_KEY_UPDATE; }
lock_strength(A) ::= SHARE. { A = AST_LOCK_SHARE; }
lock_strength(A) ::= KEY SHARE. { A = AST_LOCK_KEY_SHARE; }
%type locked_tables {struct ast_list *}
locked_tables(A) ::= . { A = NULL; }
locked_tables(A) ::= OF qualified_name_list(L). { A = L; }
%type lock_wait {enum ast_lock_wait}
lock_wait(A) ::= . { A = AST_LOCK_WAIT; }
lock_wait(A) ::= NOWAIT. { A = AST_LOCK_NOWAIT; }
lock_wait(A) ::= SKIP LOCKED. { A = AST_LOCK_SKIP; }

%type group_clause {struct {struct ast_list *list; bool distinct;}}
group_clause(A) ::= . { A.list = NULL; A.distinct = false; }
group_clause(A) ::= GROUP BY set_quantifier_all group_list(L). { A.list = L; A.distinct = false; }
group_clause(A) ::= GROUP BY DISTINCT group_list(L). { A.list = L; A.distinct = true; }
set_quantifier_all ::= .
set_quantifier_all ::= ALL.
%type group_list {struct ast_list *}
group_list(A) ::= group_item(I). { A = parser__list(p, I); }
group_list(A) ::= group_list(L) COMMA group_item(I). { A = parser__append(p, L, I); }
group_item(A) ::= a_expr(E). { A = E; }
group_item(A) ::= LP(K) RP. { A = parser__grouping(p, AST_GROUPING_EMPTY, NULL, HERE(K)); }
group_item(A) ::= ROLLUP(K) LP expr_list(L) RP. { A = parser__grouping(p, AST_GROUPING_ROLLUP, L, HERE(K)); }
group_item(A) ::= CUBE(K) LP expr_list(L) RP. { A = parser__grouping(p, AST_GROUPING_CUBE, L, HERE(K)); }
group_item(A) ::= GROUPING(K) SETS LP group_list(L) RP. { A = parser__grouping(p, AST_GROUPING_SETS, L, HERE(K)); }

having_clause(A) ::= . { A = NULL; }
having_clause(A) ::= HAVING a_expr(E). { A = E; }

where_clause(A) ::= . { A = NULL; }
where_clause(A) ::= WHERE a_expr(E). { A = E; }

%type window_clause {struct ast_list *}
window_clause(A) ::= . { A = NULL; }
window_clause(A) ::= WINDOW window_list(L). { A = L; }
%type window_list {struct ast_list *}
window_list(A) ::= window_def(W). { A = parser__list(p, W); }
window_list(A) ::= window_list(L) COMMA window_def(W). { A = parser__append(p, L, W); }
window_def(A) ::= col_id(N) AS window_spec(W). { W->name = N.text; A = NODE(W); }
%type window_spec {struct ast_window *}
window_spec(A) ::= LP(K) window_base(B) window_partition(P) opt_sort_clause(O) window_frame(F). {
    A = NEW(AST_WINDOW, window, HERE(K));
    A->base = B.text; A->partition = P; A->order = O; A->frame = F;
    parser__above_list(p, A, P);
    parser__above_list(p, A, O);
    if (F != NULL) {
        parser__above(p, A, F->start.offset);
        parser__above(p, A, F->end.offset);
    }
}
%type window_base {struct parser_token}
window_base(A) ::= . [OP] { A = (struct parser_token){NULL, 0, -1}; }
window_base(A) ::= col_id(N). { A = N; }
%type window_partition {struct ast_list *}
window_partition(A) ::= . { A = NULL; }
window_partition(A) ::= PARTITION BY expr_list(L). { A = L; }
/* It ends the specification, so that it can look ahead to the parenthesis. */
%type window_frame {struct ast_frame *}
window_frame(A) ::= RP. { A = NULL; }
window_frame(A) ::= frame_unit(U) frame_extent(E) frame_exclusion(X) RP. { A = E; A->unit = U; A->exclusion = X; }
%type frame_unit {enum ast_frame_unit}
frame_unit(A) ::= RANGE. { A = AST_FRAME_RANGE; }
frame_unit(A) ::= ROWS. { A = AST_FRAME_ROWS; }
frame_unit(A) ::= GROUPS. { A = AST_FRAME_GROUPS; }
%type frame_extent {struct ast_frame *}
frame_extent(A) ::= frame_bound(S). { A = parser__frame(p, &S, NULL); }
frame_extent(A) ::= BETWEEN frame_bound(S) AND frame_bound(E). { A = parser__frame(p, &S, &E); }
%type frame_bound {struct ast_frame_bound}
frame_bound(A) ::= UNBOUNDED(K) PRECEDING. { A = (struct ast_frame_bound){AST_UNBOUNDED_PRECEDING, NULL, HERE(K)}; }
frame_bound(A) ::= UNBOUNDED(K) FOLLOWING. { A = (struct ast_frame_bound){AST_UNBOUNDED_FOLLOWING, NULL, HERE(K)}; }
frame_bound(A) ::= CURRENT(K) ROW. { A = (struct ast_frame_bound){AST_CURRENT_ROW, NULL, HERE(K)}; }
frame_bound(A) ::= a_expr(E) PRECEDING. { A = (struct ast_frame_bound){AST_OFFSET_PRECEDING, E, E->location}; }
frame_bound(A) ::= a_expr(E) FOLLOWING. { A = (struct ast_frame_bound){AST_OFFSET_FOLLOWING, E, E->location}; }
%type frame_exclusion {enum ast_frame_exclusion}
frame_exclusion(A) ::= . { A = AST_EXCLUDE_NO_OTHERS; }
frame_exclusion(A) ::= EXCLUDE CURRENT ROW. { A = AST_EXCLUDE_CURRENT_ROW; }
frame_exclusion(A) ::= EXCLUDE GROUP. { A = AST_EXCLUDE_GROUP; }
frame_exclusion(A) ::= EXCLUDE TIES. { A = AST_EXCLUDE_TIES; }
frame_exclusion(A) ::= EXCLUDE NO OTHERS. { A = AST_EXCLUDE_NO_OTHERS; }

/* ---- FROM ------------------------------------------------------------------------------------ */

%type from_clause {struct ast_list *}
from_clause(A) ::= . { A = NULL; }
from_clause(A) ::= FROM from_list(L). { A = L; }
%type from_list {struct ast_list *}
from_list(A) ::= table_ref(T). { A = parser__list(p, T); }
from_list(A) ::= from_list(L) COMMA table_ref(T). { A = parser__append(p, L, T); }

%type alias {struct grammar_alias}
alias(A) ::= AS col_id(N) opt_name_list(L). { A = (struct grammar_alias){N, L, NULL}; }
alias(A) ::= col_id(N) opt_name_list(L). { A = (struct grammar_alias){N, L, NULL}; }
%type opt_alias {struct grammar_alias}
opt_alias(A) ::= . { A = (struct grammar_alias){{NULL, 0, -1}, NULL, NULL}; }
opt_alias(A) ::= alias(B). { A = B; }
%type func_alias {struct grammar_alias}
func_alias(A) ::= opt_alias(B). { A = B; }
func_alias(A) ::= AS LP column_def_list(L) RP. { A = (struct grammar_alias){{NULL, 0, -1}, NULL, L}; }
func_alias(A) ::= AS col_id(N) LP column_def_list(L) RP. { A = (struct grammar_alias){N, NULL, L}; }
func_alias(A) ::= col_id(N) LP column_def_list(L) RP. { A = (struct grammar_alias){N, NULL, L}; }
%type column_def_list {struct ast_list *}
column_def_list(A) ::= func_column_def(C). { A = parser__list(p, C); }
column_def_list(A) ::= column_def_list(L) COMMA func_column_def(C). { A = parser__append(p, L, C); }
func_column_def(A) ::= col_id(N) typename(T) opt_collate(C). {
    struct ast_column_def *def = NEW(AST_COLUMN_DEF, column_def, HERE(N));
    def->name = N.text; def->type = T; def->collation = C == NULL ? NULL : C->name;
    A = NODE(def);
}
%type opt_collate {struct parser_any_name *}
opt_collate(A) ::= . { A = NULL; }
opt_collate(A) ::= COLLATE any_name(N). { A = N; }

table_ref(A) ::= relation_expr(T) opt_alias(B). { A = NODE(T); parser__table_alias(p, A, B.name, B.columns); }
table_ref(A) ::= relation_expr(T) opt_alias(B) TABLESAMPLE func_name LP expr_list RP opt_repeatable. {
    A = NODE(T); parser__table_alias(p, A, B.name, B.columns);
    T->sample = true;
}
table_ref(A) ::= func_table(F) func_alias(B). {
    A = F; parser__table_alias(p, A, B.name, B.columns);
    ((struct ast_range_function *)A)->column_defs = B.defs;
}
table_ref(A) ::= LATERAL func_table(F) func_alias(B). {
    A = F; parser__table_alias(p, A, B.name, B.columns);
    ((struct ast_range_function *)A)->column_defs = B.defs;
    ((struct ast_range_function *)A)->lateral = true;
}
table_ref(A) ::= select_with_parens(S) opt_alias(B). {
    struct ast_range_subquery *range = NEW(AST_RANGE_SUBQUERY, range_subquery, S->paren);
    range->query = S; A = NODE(range);
    parser__above(p, range, S);
    parser__table_alias(p, A, B.name, B.columns);
    parser__need_alias(p, range);
}
table_ref(A) ::= LATERAL select_with_parens(S) opt_alias(B). {
    struct ast_range_subquery *range = NEW(AST_RANGE_SUBQUERY, range_subquery, S->paren);
    range->query = S; range->lateral = true; A = NODE(range);
    parser__above(p, range, S);
    parser__table_alias(p, A, B.name, B.columns);
    parser__need_alias(p, range);
}
table_ref(A) ::= joined_table(J). { A = J; }
table_ref(A) ::= LP joined_table(J) RP alias(B). { A = J; parser__table_alias(p, A, B.name, B.columns); }

opt_repeatable ::= .
opt_repeatable ::= REPEATABLE LP a_expr RP.

joined_table(A) ::= LP joined_table(J) RP. { A = J; }
joined_table(A) ::= table_ref(L) CROSS(K) JOIN table_ref(R). { A = NODE(parser__join(p, AST_JOIN_CROSS, L, R, HERE(K))); }
joined_table(A) ::= table_ref(L) join_type(T) JOIN(K) table_ref(R) join_qual(Q). { A = NODE(parser__join(p, T, L, R, HERE(K))); 
    ((struct ast_join *)A)->using_columns = Q.columns; ((struct ast_join *)A)->using_alias = Q.alias;
    ((struct ast_join *)A)->condition = Q.on; parser__above(p, A, Q.on); }
joined_table(A) ::= table_ref(L) JOIN(K) table_ref(R) join_qual(Q). { A = NODE(parser__join(p, AST_JOIN_INNER, L, R, HERE(K)));
    ((struct ast_join *)A)->using_columns = Q.columns; ((struct ast_join *)A)->using_alias = Q.alias;
    ((struct ast_join *)A)->condition = Q.on; parser__above(p, A, Q.on); }
joined_table(A) ::= table_ref(L) NATURAL(K) join_type(T) JOIN table_ref(R). { A = NODE(parser__join(p, T, L, R, HERE(K))); ((struct ast_join *)A)->natural = true; }
joined_table(A) ::= table_ref(L) NATURAL(K) JOIN table_ref(R). { A = NODE(parser__join(p, AST_JOIN_INNER, L, R, HERE(K))); ((struct ast_join *)A)->natural = true; }
%type join_type {enum ast_join_kind}
join_type(A) ::= FULL opt_outer. { A = AST_JOIN_FULL; }
join_type(A) ::= LEFT opt_outer. { A = AST_JOIN_LEFT; }
join_type(A) ::= RIGHT opt_outer. { A = AST_JOIN_RIGHT; }
join_type(A) ::= INNER. { A = AST_JOIN_INNER; }
opt_outer ::= .
opt_outer ::= OUTER.
%type join_qual {struct {struct ast_list *columns; const char *alias; struct ast_node *on;}}
join_qual(A) ::= USING LP name_list(L) RP. { A.columns = L; A.alias = NULL; A.on = NULL; }
join_qual(A) ::= USING LP name_list(L) RP AS col_id(N). { A.columns = L; A.alias = N.text; A.on = NULL; }
join_qual(A) ::= ON a_expr(E). { A.columns = NULL; A.alias = NULL; A.on = E; }

%type relation_expr {struct ast_table *}
relation_expr(A) ::= qualified_name(T). { A = T; }
relation_expr(A) ::= qualified_name(T) STAR. { A = T; }
relation_expr(A) ::= ONLY qualified_name(T). { A = T; A->only = true; }
relation_expr(A) ::= ONLY LP qualified_name(T) RP. { A = T; A->only = true; }

%type relation_expr_list {struct ast_list *}
relation_expr_list(A) ::= relation_expr(T). { A = parser__list(p, T); }
relation_expr_list(A) ::= relation_expr_list(L) COMMA relation_expr(T). { A = parser__append(p, L, T); }

/* The table an UPDATE or DELETE changes: an alias must not swallow SET. */
%type target_table {struct ast_table *}
target_table(A) ::= relation_expr(T). [UMINUS] { A = T; }
target_table(A) ::= relation_expr(T) col_id(N). { A = T; A->alias = N.text; }
target_table(A) ::= relation_expr(T) AS col_id(N). { A = T; A->alias = N.text; }

func_table(A) ::= func_expr_windowless(F) opt_ordinality(O). {
    struct ast_range_function *range = NEW(AST_RANGE_FUNCTION, range_function, F->location);
    range->calls = parser__list(p, F); range->ordinality = O; A = NODE(range);
    parser__above(p, range, F);
}
func_table(A) ::= ROWS(K) FROM LP rows_from_list(L) RP opt_ordinality(O). {
    struct ast_range_function *range = NEW(AST_RANGE_FUNCTION, range_function, HERE(K));
    range->calls = L; range->ordinality = O; range->rows_from = true; A = NODE(range);
    parser__above_list(p, range, L);
}
%type rows_from_list {struct ast_list *}
rows_from_list(A) ::= func_expr_windowless(F). { A = parser__list(p, F); }
rows_from_list(A) ::= rows_from_list(L) COMMA func_expr_windowless(F). { A = parser__append(p, L, F); }
%type opt_ordinality {bool}
opt_ordinality(A) ::= . { A = false; }
opt_ordinality(A) ::= WITH_LA ORDINALITY. { A = true; }

/* ---- types ----------------------------------------------------------------------------------- */

%type typename {struct ast_type *}
typename(A) ::= simple_typename(T) array_bounds(D). { A = T; A->array_dimensions = (uint32_t)D; }
typename(A) ::= SETOF simple_typename(T) array_bounds(D). { A = T; A->array_dimensions = (uint32_t)D; A->setof = true; }
typename(A) ::= simple_typename(T) ARRAY LB ICONST RB. { A = T; A->array_dimensions = 1; }
typename(A) ::= simple_typename(T) ARRAY. { A = T; A->array_dimensions = 1; }
typename(A) ::= SETOF simple_typename(T) ARRAY. { A = T; A->array_dimensions = 1; A->setof = true; }
%type array_bounds {int}
array_bounds(A) ::= . { A = 0; }
array_bounds(A) ::= array_bounds(N) LB RB. { A = N + 1; }
array_bounds(A) ::= array_bounds(N) LB ICONST RB. { A = N + 1; }

%type simple_typename {struct ast_type *}
simple_typename(A) ::= generic_type(T). { A = T; }
simple_typename(A) ::= numeric_type(T). { A = T; }
simple_typename(A) ::= bit_type(T). { A = T; }
simple_typename(A) ::= character_type(T). { A = T; }
simple_typename(A) ::= datetime_type(T). { A = T; }
simple_typename(A) ::= INTERVAL(K) interval_fields(F). { A = parser__type(p, "pg_catalog", "interval", HERE(K)); parser__interval(p, A, F); }
simple_typename(A) ::= INTERVAL(K) LP ICONST(N) RP. {
    A = parser__type(p, "pg_catalog", "interval", HERE(K));
    A->modifiers = parser__list(p, parser__integer(p, N));
}

/* A type that can stand before a literal without being taken for a function. */
%type const_typename {struct ast_type *}
const_typename(A) ::= numeric_type(T). { A = T; }
const_typename(A) ::= bit_type(T). { A = T; }
const_typename(A) ::= character_type(T). { A = T; }
const_typename(A) ::= datetime_type(T). { A = T; }

%type generic_type {struct ast_type *}
generic_type(A) ::= type_function_name(N) type_modifiers(M). { A = parser__generic_type(p, parser__any_name(p, N), M); }
generic_type(A) ::= type_function_name(N) attrs(L) type_modifiers(M). { A = parser__generic_type(p, parser__any_name_of(p, N, L), M); }
%type type_modifiers {struct ast_list *}
type_modifiers(A) ::= . { A = NULL; }
type_modifiers(A) ::= LP expr_list(L) RP. { A = L; }

%type numeric_type {struct ast_type *}
numeric_type(A) ::= INT(K). { A = parser__type(p, "pg_catalog", "int4", HERE(K)); }
numeric_type(A) ::= INTEGER(K). { A = parser__type(p, "pg_catalog", "int4", HERE(K)); }
numeric_type(A) ::= SMALLINT(K). { A = parser__type(p, "pg_catalog", "int2", HERE(K)); }
numeric_type(A) ::= BIGINT(K). { A = parser__type(p, "pg_catalog", "int8", HERE(K)); }
numeric_type(A) ::= REAL(K). { A = parser__type(p, "pg_catalog", "float4", HERE(K)); }
numeric_type(A) ::= FLOAT(K). { A = parser__float(p, NULL, HERE(K)); }
numeric_type(A) ::= FLOAT(K) LP ICONST(N) RP. { A = parser__float(p, &N, HERE(K)); }
numeric_type(A) ::= DOUBLE(K) PRECISION. { A = parser__type(p, "pg_catalog", "float8", HERE(K)); }
numeric_type(A) ::= DECIMAL(K) type_modifiers(M). { A = parser__type(p, "pg_catalog", "numeric", HERE(K)); A->modifiers = M; }
numeric_type(A) ::= DEC(K) type_modifiers(M). { A = parser__type(p, "pg_catalog", "numeric", HERE(K)); A->modifiers = M; }
numeric_type(A) ::= NUMERIC(K) type_modifiers(M). { A = parser__type(p, "pg_catalog", "numeric", HERE(K)); A->modifiers = M; }
numeric_type(A) ::= BOOLEAN(K). { A = parser__type(p, "pg_catalog", "bool", HERE(K)); }

%type bit_type {struct ast_type *}
bit_type(A) ::= BIT(K) VARYING type_modifiers(M). { A = parser__type(p, "pg_catalog", "varbit", HERE(K)); A->modifiers = M; }
bit_type(A) ::= BIT(K) type_modifiers(M). {
    A = parser__type(p, "pg_catalog", "bit", HERE(K));
    A->modifiers = M != NULL ? M : parser__list(p, parser__integer(p, (struct parser_token){"1", 1, -1}));
}

%type character_type {struct ast_type *}
character_type(A) ::= character(T) LP ICONST(N) RP. { A = T; A->modifiers = parser__list(p, parser__integer(p, N)); }
character_type(A) ::= character(T). {
    A = T;
    if (T->name[0] == 'b') A->modifiers = parser__list(p, parser__integer(p, (struct parser_token){"1", 1, -1}));
}
%type character {struct ast_type *}
character(A) ::= CHARACTER(K) opt_varying(V). { A = parser__type(p, "pg_catalog", V ? "varchar" : "bpchar", HERE(K)); }
character(A) ::= CHAR(K) opt_varying(V). { A = parser__type(p, "pg_catalog", V ? "varchar" : "bpchar", HERE(K)); }
character(A) ::= VARCHAR(K). { A = parser__type(p, "pg_catalog", "varchar", HERE(K)); }
character(A) ::= NATIONAL(K) CHARACTER opt_varying(V). { A = parser__type(p, "pg_catalog", V ? "varchar" : "bpchar", HERE(K)); }
character(A) ::= NATIONAL(K) CHAR opt_varying(V). { A = parser__type(p, "pg_catalog", V ? "varchar" : "bpchar", HERE(K)); }
character(A) ::= NCHAR(K) opt_varying(V). { A = parser__type(p, "pg_catalog", V ? "varchar" : "bpchar", HERE(K)); }
%type opt_varying {bool}
opt_varying(A) ::= . { A = false; }
opt_varying(A) ::= VARYING. { A = true; }

%type datetime_type {struct ast_type *}
datetime_type(A) ::= TIMESTAMP(K) LP ICONST(N) RP time_zone(Z). { A = parser__type(p, "pg_catalog", Z ? "timestamptz" : "timestamp", HERE(K)); A->modifiers = parser__list(p, parser__integer(p, N)); }
datetime_type(A) ::= TIMESTAMP(K) time_zone(Z). { A = parser__type(p, "pg_catalog", Z ? "timestamptz" : "timestamp", HERE(K)); }
datetime_type(A) ::= TIME(K) LP ICONST(N) RP time_zone(Z). { A = parser__type(p, "pg_catalog", Z ? "timetz" : "time", HERE(K)); A->modifiers = parser__list(p, parser__integer(p, N)); }
datetime_type(A) ::= TIME(K) time_zone(Z). { A = parser__type(p, "pg_catalog", Z ? "timetz" : "time", HERE(K)); }
%type time_zone {bool}
time_zone(A) ::= . { A = false; }
time_zone(A) ::= WITH_LA TIME ZONE. { A = true; }
time_zone(A) ::= WITHOUT TIME ZONE. { A = false; }

%type interval_fields {int64_t}
interval_fields(A) ::= . { A = 0; }
interval_fields(A) ::= YEAR. { A = AST_INTERVAL_YEAR; }
interval_fields(A) ::= MONTH. { A = AST_INTERVAL_MONTH; }
interval_fields(A) ::= DAY. { A = AST_INTERVAL_DAY; }
interval_fields(A) ::= HOUR. { A = AST_INTERVAL_HOUR; }
interval_fields(A) ::= MINUTE. { A = AST_INTERVAL_MINUTE; }
interval_fields(A) ::= interval_second(S). { A = S; }
interval_fields(A) ::= YEAR TO MONTH. { A = AST_INTERVAL_YEAR | AST_INTERVAL_MONTH; }
interval_fields(A) ::= DAY TO HOUR. { A = AST_INTERVAL_DAY | AST_INTERVAL_HOUR; }
interval_fields(A) ::= DAY TO MINUTE. { A = AST_INTERVAL_DAY | AST_INTERVAL_HOUR | AST_INTERVAL_MINUTE; }
interval_fields(A) ::= DAY TO interval_second(S). { A = S | AST_INTERVAL_DAY | AST_INTERVAL_HOUR | AST_INTERVAL_MINUTE; }
interval_fields(A) ::= HOUR TO MINUTE. { A = AST_INTERVAL_HOUR | AST_INTERVAL_MINUTE; }
interval_fields(A) ::= HOUR TO interval_second(S). { A = S | AST_INTERVAL_HOUR | AST_INTERVAL_MINUTE; }
interval_fields(A) ::= MINUTE TO interval_second(S). { A = S | AST_INTERVAL_MINUTE; }
%type interval_second {int64_t}
interval_second(A) ::= SECOND. { A = AST_INTERVAL_SECOND; }
interval_second(A) ::= SECOND LP ICONST(N) RP. { A = AST_INTERVAL_SECOND | (int64_t)(parser__int32(p, N) + 1) << 8; }

/* ---- expressions ----------------------------------------------------------------------------- */

a_expr(A) ::= c_expr(E). { A = E; }
a_expr(A) ::= a_expr(E) TYPECAST(O) typename(T). { A = parser__cast(p, AST_CAST_COLONS, E, T, HERE(O)); }
a_expr(A) ::= a_expr(E) COLLATE(O) any_name(N). {
    struct ast_collate *collate = NEW(AST_COLLATE, collate, HERE(O));
    collate->operand = E; collate->schema = N->schema; collate->name = N->name;
    parser__above(p, collate, E);
    A = NODE(collate);
}
a_expr(A) ::= a_expr(L) AT(O) TIME ZONE a_expr(R). [AT] { A = parser__special(p, "timezone", parser__append(p, parser__list(p, R), L), HERE(O)); }
a_expr(A) ::= PLUS(O) a_expr(E). [UMINUS] { A = parser__op(p, "+", NULL, E, HERE(O)); }
a_expr(A) ::= MINUS(O) a_expr(E). [UMINUS] { A = parser__negate(p, E, HERE(O)); }
a_expr(A) ::= a_expr(L) PLUS(O) a_expr(R). { A = parser__op(p, "+", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) MINUS(O) a_expr(R). { A = parser__op(p, "-", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) STAR(O) a_expr(R). { A = parser__op(p, "*", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) SLASH(O) a_expr(R). { A = parser__op(p, "/", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) PERCENT(O) a_expr(R). { A = parser__op(p, "%", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) CARET(O) a_expr(R). { A = parser__op(p, "^", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) LT(O) a_expr(R). { A = parser__op(p, "<", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) GT(O) a_expr(R). { A = parser__op(p, ">", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) EQ(O) a_expr(R). { A = parser__op(p, "=", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) LE(O) a_expr(R). { A = parser__op(p, "<=", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) GE(O) a_expr(R). { A = parser__op(p, ">=", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) NE(O) a_expr(R). { A = parser__op(p, "<>", L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) qual_op(O) a_expr(R). [OP] { A = parser__qual_op(p, O, L, R); }
a_expr(A) ::= qual_op(O) a_expr(E). [OP] { A = parser__qual_op(p, O, NULL, E); }
a_expr(A) ::= a_expr(L) AND(O) a_expr(R). { A = parser__bool(p, AST_BOOL_AND, L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) OR(O) a_expr(R). { A = parser__bool(p, AST_BOOL_OR, L, R, HERE(O)); }
a_expr(A) ::= NOT(O) a_expr(E). { A = parser__bool(p, AST_BOOL_NOT, E, NULL, HERE(O)); }
a_expr(A) ::= NOT_LA(O) a_expr(E). [NOT] { A = parser__bool(p, AST_BOOL_NOT, E, NULL, HERE(O)); }
a_expr(A) ::= a_expr(L) LIKE(O) a_expr(R). [LIKE] { A = parser__like(p, AST_LIKE_LIKE, false, L, R, NULL, HERE(O)); }
a_expr(A) ::= a_expr(L) LIKE(O) a_expr(R) ESCAPE a_expr(E). [LIKE] { A = parser__like(p, AST_LIKE_LIKE, false, L, R, E, HERE(O)); }
a_expr(A) ::= a_expr(L) NOT_LA(O) LIKE a_expr(R). [NOT_LA] { A = parser__like(p, AST_LIKE_LIKE, true, L, R, NULL, HERE(O)); }
a_expr(A) ::= a_expr(L) NOT_LA(O) LIKE a_expr(R) ESCAPE a_expr(E). [NOT_LA] { A = parser__like(p, AST_LIKE_LIKE, true, L, R, E, HERE(O)); }
a_expr(A) ::= a_expr(L) ILIKE(O) a_expr(R). [ILIKE] { A = parser__like(p, AST_LIKE_ILIKE, false, L, R, NULL, HERE(O)); }
a_expr(A) ::= a_expr(L) ILIKE(O) a_expr(R) ESCAPE a_expr(E). [ILIKE] { A = parser__like(p, AST_LIKE_ILIKE, false, L, R, E, HERE(O)); }
a_expr(A) ::= a_expr(L) NOT_LA(O) ILIKE a_expr(R). [NOT_LA] { A = parser__like(p, AST_LIKE_ILIKE, true, L, R, NULL, HERE(O)); }
a_expr(A) ::= a_expr(L) NOT_LA(O) ILIKE a_expr(R) ESCAPE a_expr(E). [NOT_LA] { A = parser__like(p, AST_LIKE_ILIKE, true, L, R, E, HERE(O)); }
a_expr(A) ::= a_expr(L) SIMILAR(O) TO a_expr(R). [SIMILAR] { A = parser__like(p, AST_LIKE_SIMILAR, false, L, R, NULL, HERE(O)); }
a_expr(A) ::= a_expr(L) SIMILAR(O) TO a_expr(R) ESCAPE a_expr(E). [SIMILAR] { A = parser__like(p, AST_LIKE_SIMILAR, false, L, R, E, HERE(O)); }
a_expr(A) ::= a_expr(L) NOT_LA(O) SIMILAR TO a_expr(R). [NOT_LA] { A = parser__like(p, AST_LIKE_SIMILAR, true, L, R, NULL, HERE(O)); }
a_expr(A) ::= a_expr(L) NOT_LA(O) SIMILAR TO a_expr(R) ESCAPE a_expr(E). [NOT_LA] { A = parser__like(p, AST_LIKE_SIMILAR, true, L, R, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) NULL. [IS] { A = parser__is(p, AST_IS_NULL, false, E, HERE(O)); }
a_expr(A) ::= a_expr(E) ISNULL(O). { A = parser__is(p, AST_IS_NULL, false, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) NOT NULL. [IS] { A = parser__is(p, AST_IS_NULL, true, E, HERE(O)); }
a_expr(A) ::= a_expr(E) NOTNULL(O). { A = parser__is(p, AST_IS_NULL, true, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) TRUE. [IS] { A = parser__is(p, AST_IS_TRUE, false, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) NOT TRUE. [IS] { A = parser__is(p, AST_IS_TRUE, true, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) FALSE. [IS] { A = parser__is(p, AST_IS_FALSE, false, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) NOT FALSE. [IS] { A = parser__is(p, AST_IS_FALSE, true, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) UNKNOWN. [IS] { A = parser__is(p, AST_IS_UNKNOWN, false, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) NOT UNKNOWN. [IS] { A = parser__is(p, AST_IS_UNKNOWN, true, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) is_other. [IS] { A = parser__is(p, AST_IS_OTHER, false, E, HERE(O)); }
a_expr(A) ::= a_expr(E) IS(O) NOT is_other. [IS] { A = parser__is(p, AST_IS_OTHER, true, E, HERE(O)); }
a_expr(A) ::= a_expr(L) IS(O) DISTINCT FROM a_expr(R). [IS] { A = parser__distinct_from(p, false, L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) IS(O) NOT DISTINCT FROM a_expr(R). [IS] { A = parser__distinct_from(p, true, L, R, HERE(O)); }
a_expr(A) ::= a_expr(E) BETWEEN(O) opt_asymmetric b_expr(L) AND a_expr(H). [BETWEEN] { A = parser__between(p, false, false, E, L, H, HERE(O)); }
a_expr(A) ::= a_expr(E) NOT_LA(O) BETWEEN opt_asymmetric b_expr(L) AND a_expr(H). [NOT_LA] { A = parser__between(p, true, false, E, L, H, HERE(O)); }
a_expr(A) ::= a_expr(E) BETWEEN(O) SYMMETRIC b_expr(L) AND a_expr(H). [BETWEEN] { A = parser__between(p, false, true, E, L, H, HERE(O)); }
a_expr(A) ::= a_expr(E) NOT_LA(O) BETWEEN SYMMETRIC b_expr(L) AND a_expr(H). [NOT_LA] { A = parser__between(p, true, true, E, L, H, HERE(O)); }
a_expr(A) ::= a_expr(L) IN(O) in_expr(R). { A = parser__in(p, false, L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) NOT_LA(O) IN in_expr(R). [NOT_LA] { A = parser__in(p, true, L, R, HERE(O)); }
a_expr(A) ::= a_expr(L) subquery_op(O) any_all(K) select_with_parens(S). [OP] { A = parser__any(p, O.text, K, L, parser__subquery(p, S, false, HERE(O)), HERE(O)); }
a_expr(A) ::= a_expr(L) subquery_op(O) any_all(K) LP a_expr(R) RP. [OP] { A = parser__any(p, O.text, K, L, R, HERE(O)); }
a_expr(A) ::= DEFAULT(K). { A = NODE(NEW(AST_DEFAULT, default, HERE(K))); }
a_expr(A) ::= row(L) OVERLAPS(O) row(R). {
    struct ast_list *args = parser__concat(p, parser__list(p, NULL), ((struct ast_row *)L)->list);
    A = parser__special(p, "overlaps", parser__concat(p, args, ((struct ast_row *)R)->list), HERE(O));
}

is_other ::= DOCUMENT.
is_other ::= NORMALIZED.
is_other ::= normal_form NORMALIZED.
normal_form ::= NFC.
normal_form ::= NFD.
normal_form ::= NFKC.
normal_form ::= NFKD.
opt_asymmetric ::= .
opt_asymmetric ::= ASYMMETRIC.
%type any_all {bool}
any_all(A) ::= ANY. { A = false; }
any_all(A) ::= SOME. { A = false; }
any_all(A) ::= ALL. { A = true; }

/* What may stand where AND, NOT, IN or LIKE after it would mean something else. */
b_expr(A) ::= c_expr(E). { A = E; }
b_expr(A) ::= b_expr(E) TYPECAST(O) typename(T). { A = parser__cast(p, AST_CAST_COLONS, E, T, HERE(O)); }
b_expr(A) ::= PLUS(O) b_expr(E). [UMINUS] { A = parser__op(p, "+", NULL, E, HERE(O)); }
b_expr(A) ::= MINUS(O) b_expr(E). [UMINUS] { A = parser__negate(p, E, HERE(O)); }
b_expr(A) ::= b_expr(L) PLUS(O) b_expr(R). { A = parser__op(p, "+", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) MINUS(O) b_expr(R). { A = parser__op(p, "-", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) STAR(O) b_expr(R). { A = parser__op(p, "*", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) SLASH(O) b_expr(R). { A = parser__op(p, "/", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) PERCENT(O) b_expr(R). { A = parser__op(p, "%", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) CARET(O) b_expr(R). { A = parser__op(p, "^", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) LT(O) b_expr(R). { A = parser__op(p, "<", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) GT(O) b_expr(R). { A = parser__op(p, ">", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) EQ(O) b_expr(R). { A = parser__op(p, "=", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) LE(O) b_expr(R). { A = parser__op(p, "<=", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) GE(O) b_expr(R). { A = parser__op(p, ">=", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) NE(O) b_expr(R). { A = parser__op(p, "<>", L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) qual_op(O) b_expr(R). [OP] { A = parser__qual_op(p, O, L, R); }
b_expr(A) ::= qual_op(O) b_expr(E). [OP] { A = parser__qual_op(p, O, NULL, E); }
b_expr(A) ::= b_expr(L) IS(O) DISTINCT FROM b_expr(R). [IS] { A = parser__distinct_from(p, false, L, R, HERE(O)); }
b_expr(A) ::= b_expr(L) IS(O) NOT DISTINCT FROM b_expr(R). [IS] { A = parser__distinct_from(p, true, L, R, HERE(O)); }
b_expr(A) ::= b_expr(E) IS(O) is_other. [IS] { A = parser__is(p, AST_IS_OTHER, false, E, HERE(O)); }
b_expr(A) ::= b_expr(E) IS(O) NOT is_other. [IS] { A = parser__is(p, AST_IS_OTHER, true, E, HERE(O)); }

c_expr(A) ::= columnref(E). { A = E; }
c_expr(A) ::= aexpr_const(E). { A = E; }
c_expr(A) ::= PARAM(T) opt_indirection(I). { A = parser__indirect(p, parser__param(p, T), I); }
c_expr(A) ::= LP a_expr(E) RP opt_indirection(I). { A = parser__indirect(p, E, I); }
c_expr(A) ::= case_expr(E). { A = E; }
c_expr(A) ::= func_expr(E). { A = E; }
c_expr(A) ::= select_with_parens(S). [UMINUS] { A = parser__subquery(p, S, false, S->paren); }
c_expr(A) ::= select_with_parens(S) indirection(I). { A = parser__indirect(p, parser__subquery(p, S, false, S->paren), I); }
c_expr(A) ::= EXISTS(K) select_with_parens(S). {
    struct ast_exists *exists = NEW(AST_EXISTS, exists, HERE(K));
    exists->query = S;
    parser__above(p, exists, S);
    A = NODE(exists);
}
c_expr(A) ::= ARRAY(K) select_with_parens(S). { A = parser__subquery(p, S, true, HERE(K)); }
c_expr(A) ::= ARRAY(K) array_expr(E). { A = E; A->location = HERE(K); }
c_expr(A) ::= explicit_row(E). { A = E; }
c_expr(A) ::= implicit_row(E). { A = E; }
c_expr(A) ::= GROUPING(K) LP expr_list(L) RP. { A = parser__grouping(p, AST_GROUPING_CALL, L, HERE(K)); }

array_expr(A) ::= LB(K) expr_list(L) RB. { struct ast_array *array = NEW(AST_ARRAY, array, HERE(K)); array->list = L; parser__above_list(p, array, L); A = NODE(array); }
array_expr(A) ::= LB(K) array_expr_list(L) RB. { struct ast_array *array = NEW(AST_ARRAY, array, HERE(K)); array->list = L; parser__above_list(p, array, L); A = NODE(array); }
array_expr(A) ::= LB(K) RB. { A = NODE(NEW(AST_ARRAY, array, HERE(K))); }
%type array_expr_list {struct ast_list *}
array_expr_list(A) ::= array_expr(E). { A = parser__list(p, E); }
array_expr_list(A) ::= array_expr_list(L) COMMA array_expr(E). { A = parser__append(p, L, E); }

row(A) ::= explicit_row(E). { A = E; }
row(A) ::= implicit_row(E). { A = E; }
explicit_row(A) ::= ROW(K) LP expr_list(L) RP. { A = parser__row(p, true, L, HERE(K)); }
explicit_row(A) ::= ROW(K) LP RP. { A = parser__row(p, true, NULL, HERE(K)); }
implicit_row(A) ::= LP(K) expr_list(L) COMMA a_expr(E) RP. { A = parser__row(p, false, parser__append(p, L, E), HERE(K)); }

columnref(A) ::= col_id(N). { A = parser__column(p, N, NULL); }
columnref(A) ::= col_id(N) indirection(I). { A = parser__column(p, N, I); }
%type indirection {struct ast_list *}
indirection(A) ::= indirection_el(E). { A = parser__list(p, E); }
indirection(A) ::= indirection(L) indirection_el(E). { A = parser__append(p, L, E); }
%type opt_indirection {struct ast_list *}
opt_indirection(A) ::= . { A = NULL; }
opt_indirection(A) ::= opt_indirection(L) indirection_el(E). { A = L == NULL ? parser__list(p, E) : parser__append(p, L, E); }
indirection_el(A) ::= DOT col_label(N). { A = parser__name(p, N); }
indirection_el(A) ::= DOT STAR(S). { struct ast_column *star = NEW(AST_COLUMN, column, HERE(S)); star->star = true; A = NODE(star); }
indirection_el(A) ::= LB(K) a_expr(E) RB. { struct ast_subscript *s = NEW(AST_SUBSCRIPT, subscript, HERE(K)); s->upper = E; parser__above(p, s, E); A = NODE(s); }
indirection_el(A) ::= LB(K) opt_slice_bound(L) COLON opt_slice_bound(U) RB. {
    struct ast_subscript *s = NEW(AST_SUBSCRIPT, subscript, HERE(K));
    s->slice = true; s->lower = L; s->upper = U;
    parser__above(p, s, L); parser__above(p, s, U);
    A = NODE(s);
}
opt_slice_bound(A) ::= . { A = NULL; }
opt_slice_bound(A) ::= a_expr(E). { A = E; }

aexpr_const(A) ::= ICONST(T). { A = parser__integer(p, T); }
aexpr_const(A) ::= FCONST(T). { A = parser__numeric(p, T); }
aexpr_const(A) ::= SCONST(T). { A = parser__string(p, AST_CONST_STRING, T); }
aexpr_const(A) ::= BCONST(T). { A = parser__string(p, AST_CONST_BIT, T); }
aexpr_const(A) ::= XCONST(T). { A = parser__string(p, AST_CONST_HEX, T); }
aexpr_const(A) ::= func_name(N) SCONST(T). { A = parser__cast(p, AST_CAST_LITERAL, parser__string(p, AST_CONST_STRING, T), parser__generic_type(p, N, NULL), N->location); }
aexpr_const(A) ::= func_name(N) LP func_arg_list(M) opt_sort_clause(O) RP SCONST(T). {
    if (O != NULL) parser__fail(p, N->location, ERR_SYNTAX, "type modifier cannot have ORDER BY");
    A = parser__cast(p, AST_CAST_LITERAL, parser__string(p, AST_CONST_STRING, T), parser__generic_type(p, N, M), N->location);
}
aexpr_const(A) ::= const_typename(N) SCONST(T). { A = parser__cast(p, AST_CAST_LITERAL, parser__string(p, AST_CONST_STRING, T), N, N->node.location); }
aexpr_const(A) ::= INTERVAL(K) SCONST(T) interval_fields(F). {
    struct ast_type *type = parser__type(p, "pg_catalog", "interval", HERE(K));
    parser__interval(p, type, F);
    A = parser__cast(p, AST_CAST_LITERAL, parser__string(p, AST_CONST_STRING, T), type, HERE(K));
}
aexpr_const(A) ::= INTERVAL(K) LP ICONST(N) RP SCONST(T). {
    struct ast_type *type = parser__type(p, "pg_catalog", "interval", HERE(K));
    type->modifiers = parser__list(p, parser__integer(p, N));
    A = parser__cast(p, AST_CAST_LITERAL, parser__string(p, AST_CONST_STRING, T), type, HERE(K));
}
aexpr_const(A) ::= TRUE(K). { A = parser__bool_const(p, true, HERE(K)); }
aexpr_const(A) ::= FALSE(K). { A = parser__bool_const(p, false, HERE(K)); }
aexpr_const(A) ::= NULL(K). { A = parser__null(p, HERE(K)); }

case_expr(A) ::= CASE(K) opt_a_expr(S) when_list(L) case_else(E) END. {
    struct ast_case *node = NEW(AST_CASE, case, HERE(K));
    node->subject = S; node->whens = L; node->otherwise = E;
    parser__above(p, node, S); parser__above_list(p, node, L); parser__above(p, node, E);
    A = NODE(node);
}
opt_a_expr(A) ::= . { A = NULL; }
opt_a_expr(A) ::= a_expr(E). { A = E; }
%type when_list {struct ast_list *}
when_list(A) ::= when(W). { A = parser__list(p, W); }
when_list(A) ::= when_list(L) when(W). { A = parser__append(p, L, W); }
when(A) ::= WHEN(K) a_expr(C) THEN a_expr(R). {
    struct ast_when *node = NEW(AST_WHEN, when, HERE(K));
    node->condition = C; node->result = R;
    parser__above(p, node, C); parser__above(p, node, R);
    A = NODE(node);
}
case_else(A) ::= . { A = NULL; }
case_else(A) ::= ELSE a_expr(E). { A = E; }

in_expr(A) ::= select_with_parens(S). { A = parser__subquery(p, S, false, S->paren); }
in_expr(A) ::= LP(K) expr_list(L) RP. { A = parser__row(p, false, L, HERE(K)); }

%type expr_list {struct ast_list *}
expr_list(A) ::= a_expr(E). { A = parser__list(p, E); }
expr_list(A) ::= expr_list(L) COMMA a_expr(E). { A = parser__append(p, L, E); }

/* ---- operators ------------------------------------------------------------------------------- */

%type math_op {struct parser_token}
math_op(A) ::= PLUS(T). { A = T; A.text = "+"; }
math_op(A) ::= MINUS(T). { A = T; A.text = "-"; }
math_op(A) ::= STAR(T). { A = T; A.text = "*"; }
math_op(A) ::= SLASH(T). { A = T; A.text = "/"; }
math_op(A) ::= PERCENT(T). { A = T; A.text = "%"; }
math_op(A) ::= CARET(T). { A = T; A.text = "^"; }
math_op(A) ::= LT(T). { A = T; A.text = "<"; }
math_op(A) ::= GT(T). { A = T; A.text = ">"; }
math_op(A) ::= EQ(T). { A = T; A.text = "="; }
math_op(A) ::= LE(T). { A = T; A.text = "<="; }
math_op(A) ::= GE(T). { A = T; A.text = ">="; }
math_op(A) ::= NE(T). { A = T; A.text = "<>"; }
%type all_op {struct parser_token}
all_op(A) ::= OP(T). { A = T; }
all_op(A) ::= math_op(T). { A = T; }

%type any_operator {struct parser_any_name *}
any_operator(A) ::= all_op(T). { A = parser__any_name(p, T); }
any_operator(A) ::= col_id(N) DOT any_operator(O). { A = O; A->catalog = A->schema; A->schema = N.text; }

%type qual_op {struct parser_any_name *}
qual_op(A) ::= OP(T). { A = parser__any_name(p, T); }
qual_op(A) ::= OPERATOR(K) LP any_operator(O) RP. { A = O; A->location = HERE(K); }
%type qual_all_op {struct parser_any_name *}
qual_all_op(A) ::= all_op(T). { A = parser__any_name(p, T); }
qual_all_op(A) ::= OPERATOR(K) LP any_operator(O) RP. { A = O; A->location = HERE(K); }
%type subquery_op {struct parser_token}
subquery_op(A) ::= all_op(T). { A = T; }
subquery_op(A) ::= OPERATOR(K) LP any_operator(O) RP. { A = K; A.text = O->name; }
subquery_op(A) ::= LIKE(K). { A = K; A.text = "~~"; }
subquery_op(A) ::= NOT_LA(K) LIKE. { A = K; A.text = "!~~"; }
subquery_op(A) ::= ILIKE(K). { A = K; A.text = "~~*"; }
subquery_op(A) ::= NOT_LA(K) ILIKE. { A = K; A.text = "!~~*"; }

/* ---- functions ------------------------------------------------------------------------------- */

%type func_name {struct parser_any_name *}
func_name(A) ::= type_function_name(N). { A = parser__any_name(p, N); }
func_name(A) ::= col_id(N) indirection(I). { A = parser__any_name_of(p, N, I); }

%type func_arg_list {struct ast_list *}
func_arg_list(A) ::= func_arg(E). { A = parser__list(p, E); }
func_arg_list(A) ::= func_arg_list(L) COMMA func_arg(E). { A = parser__append(p, L, E); }
func_arg(A) ::= a_expr(E). { A = E; }
func_arg(A) ::= type_function_name(N) named_arg_sign a_expr(E). {
    struct ast_named_arg *arg = NEW(AST_NAMED_ARG, named_arg, HERE(N));
    arg->name = N.text; arg->value = E;
    parser__above(p, arg, E);
    A = NODE(arg);
}
named_arg_sign ::= COLON_EQUALS.
named_arg_sign ::= EQUALS_GREATER.

%type func_application {struct ast_call *}
func_application(A) ::= func_name(N) LP RP. { A = parser__call(p, N, NULL); }
func_application(A) ::= func_name(N) LP func_arg_list(L) opt_sort_clause(O) RP. { A = parser__call(p, N, L); A->order = O; parser__above_list(p, A, O); }
func_application(A) ::= func_name(N) LP VARIADIC func_arg(E) opt_sort_clause(O) RP. { A = parser__call(p, N, parser__list(p, E)); A->variadic = true; A->order = O; parser__above_list(p, A, O); }
func_application(A) ::= func_name(N) LP func_arg_list(L) COMMA VARIADIC func_arg(E) opt_sort_clause(O) RP. { A = parser__call(p, N, parser__append(p, L, E)); A->variadic = true; A->order = O; parser__above_list(p, A, O); }
func_application(A) ::= func_name(N) LP ALL func_arg_list(L) opt_sort_clause(O) RP. { A = parser__call(p, N, L); A->order = O; parser__above_list(p, A, O); }
func_application(A) ::= func_name(N) LP DISTINCT func_arg_list(L) opt_sort_clause(O) RP. { A = parser__call(p, N, L); A->distinct = true; A->order = O; parser__above_list(p, A, O); }
func_application(A) ::= func_name(N) LP STAR RP. { A = parser__call(p, N, NULL); A->star = true; }

func_expr(A) ::= func_application(C) within_group(W) filter_clause(F) over_clause(O). {
    if (W != NULL) { C->order = W; C->within_group = true; parser__above_list(p, C, W); }
    C->filter = F; C->over = O;
    parser__above(p, C, F); parser__above(p, C, O);
    A = NODE(C);
}
func_expr(A) ::= func_common(E). { A = E; }
func_expr_windowless(A) ::= func_application(C). { A = NODE(C); }
func_expr_windowless(A) ::= func_common(E). { A = E; }

%type within_group {struct ast_list *}
within_group(A) ::= . { A = NULL; }
within_group(A) ::= WITHIN GROUP LP sort_clause(O) RP. { A = O; }
filter_clause(A) ::= . { A = NULL; }
filter_clause(A) ::= FILTER LP WHERE a_expr(E) RP. { A = E; }
%type over_clause {struct ast_window *}
over_clause(A) ::= . { A = NULL; }
over_clause(A) ::= OVER window_spec(W). { A = W; }
over_clause(A) ::= OVER col_id(N). { A = NEW(AST_WINDOW, window, HERE(N)); A->name = N.text; A->reference = true; }

func_common(A) ::= COLLATION(K) FOR LP a_expr(E) RP. { A = parser__special(p, "pg_collation_for", parser__list(p, E), HERE(K)); }
func_common(A) ::= CURRENT_DATE(K). { A = parser__sql_value(p, AST_CURRENT_DATE, -1, HERE(K)); }
func_common(A) ::= CURRENT_TIME(K). { A = parser__sql_value(p, AST_CURRENT_TIME, -1, HERE(K)); }
func_common(A) ::= CURRENT_TIME(K) LP ICONST(N) RP. { A = parser__sql_value(p, AST_CURRENT_TIME, parser__int32(p, N), HERE(K)); }
func_common(A) ::= CURRENT_TIMESTAMP(K). { A = parser__sql_value(p, AST_CURRENT_TIMESTAMP, -1, HERE(K)); }
func_common(A) ::= CURRENT_TIMESTAMP(K) LP ICONST(N) RP. { A = parser__sql_value(p, AST_CURRENT_TIMESTAMP, parser__int32(p, N), HERE(K)); }
func_common(A) ::= LOCALTIME(K). { A = parser__sql_value(p, AST_LOCALTIME, -1, HERE(K)); }
func_common(A) ::= LOCALTIME(K) LP ICONST(N) RP. { A = parser__sql_value(p, AST_LOCALTIME, parser__int32(p, N), HERE(K)); }
func_common(A) ::= LOCALTIMESTAMP(K). { A = parser__sql_value(p, AST_LOCALTIMESTAMP, -1, HERE(K)); }
func_common(A) ::= LOCALTIMESTAMP(K) LP ICONST(N) RP. { A = parser__sql_value(p, AST_LOCALTIMESTAMP, parser__int32(p, N), HERE(K)); }
func_common(A) ::= CURRENT_ROLE(K). { A = parser__sql_value(p, AST_CURRENT_ROLE, -1, HERE(K)); }
func_common(A) ::= CURRENT_USER(K). { A = parser__sql_value(p, AST_CURRENT_USER, -1, HERE(K)); }
func_common(A) ::= SESSION_USER(K). { A = parser__sql_value(p, AST_SESSION_USER, -1, HERE(K)); }
func_common(A) ::= USER(K). { A = parser__sql_value(p, AST_USER, -1, HERE(K)); }
func_common(A) ::= CURRENT_CATALOG(K). { A = parser__sql_value(p, AST_CURRENT_CATALOG, -1, HERE(K)); }
func_common(A) ::= CURRENT_SCHEMA(K). { A = parser__sql_value(p, AST_CURRENT_SCHEMA, -1, HERE(K)); }
func_common(A) ::= CAST(K) LP a_expr(E) AS typename(T) RP. { A = parser__cast(p, AST_CAST_CAST, E, T, HERE(K)); }
func_common(A) ::= TREAT(K) LP a_expr(E) AS typename(T) RP. { A = parser__special(p, T->name, parser__list(p, E), HERE(K)); }
func_common(A) ::= EXTRACT(K) LP extract_field(F) FROM a_expr(E) RP. { A = parser__special(p, "extract", parser__append(p, parser__list(p, parser__word(p, F.text, HERE(F))), E), HERE(K)); }
func_common(A) ::= OVERLAY(K) LP a_expr(E) PLACING a_expr(R) FROM a_expr(S) RP. { A = parser__special(p, "overlay", parser__append(p, parser__append(p, parser__list(p, E), R), S), HERE(K)); }
func_common(A) ::= OVERLAY(K) LP a_expr(E) PLACING a_expr(R) FROM a_expr(S) FOR a_expr(N) RP. { A = parser__special(p, "overlay", parser__append(p, parser__append(p, parser__append(p, parser__list(p, E), R), S), N), HERE(K)); }
func_common(A) ::= OVERLAY(K) LP opt_func_arg_list(L) RP. { A = parser__special(p, "overlay", L, HERE(K)); ((struct ast_call *)A)->schema = NULL; ((struct ast_call *)A)->special = false; }
func_common(A) ::= POSITION(K) LP b_expr(E) IN b_expr(S) RP. { A = parser__special(p, "position", parser__append(p, parser__list(p, S), E), HERE(K)); }
func_common(A) ::= SUBSTRING(K) LP a_expr(E) FROM a_expr(S) FOR a_expr(N) RP. { A = parser__special(p, "substring", parser__append(p, parser__append(p, parser__list(p, E), S), N), HERE(K)); }
func_common(A) ::= SUBSTRING(K) LP a_expr(E) FOR a_expr(N) FROM a_expr(S) RP. { A = parser__special(p, "substring", parser__append(p, parser__append(p, parser__list(p, E), S), N), HERE(K)); }
func_common(A) ::= SUBSTRING(K) LP a_expr(E) FROM a_expr(S) RP. { A = parser__special(p, "substring", parser__append(p, parser__list(p, E), S), HERE(K)); }
func_common(A) ::= SUBSTRING(K) LP a_expr(E) FOR a_expr(N) RP. {
    struct ast_node *one = parser__integer(p, (struct parser_token){"1", 1, -1});
    N = parser__cast(p, AST_CAST_CAST, N, parser__type(p, "pg_catalog", "int4", -1), -1);
    A = parser__special(p, "substring", parser__append(p, parser__append(p, parser__list(p, E), one), N), HERE(K));
}
func_common(A) ::= SUBSTRING(K) LP a_expr(E) SIMILAR a_expr(R) ESCAPE a_expr(C) RP. { A = parser__special(p, "substring", parser__append(p, parser__append(p, parser__list(p, E), R), C), HERE(K)); }
func_common(A) ::= SUBSTRING(K) LP opt_func_arg_list(L) RP. { A = parser__special(p, "substring", L, HERE(K)); ((struct ast_call *)A)->schema = NULL; ((struct ast_call *)A)->special = false; }
func_common(A) ::= TRIM(K) LP BOTH trim_list(L) RP. { A = parser__special(p, "btrim", L, HERE(K)); }
func_common(A) ::= TRIM(K) LP LEADING trim_list(L) RP. { A = parser__special(p, "ltrim", L, HERE(K)); }
func_common(A) ::= TRIM(K) LP TRAILING trim_list(L) RP. { A = parser__special(p, "rtrim", L, HERE(K)); }
func_common(A) ::= TRIM(K) LP trim_list(L) RP. { A = parser__special(p, "btrim", L, HERE(K)); }
func_common(A) ::= NULLIF(K) LP a_expr(L) COMMA a_expr(R) RP. { A = parser__list_call(p, AST_NULLIF, parser__append(p, parser__list(p, L), R), HERE(K)); }
func_common(A) ::= COALESCE(K) LP expr_list(L) RP. { A = parser__list_call(p, AST_COALESCE, L, HERE(K)); }
func_common(A) ::= GREATEST(K) LP expr_list(L) RP. { A = parser__list_call(p, AST_GREATEST, L, HERE(K)); }
func_common(A) ::= LEAST(K) LP expr_list(L) RP. { A = parser__list_call(p, AST_LEAST, L, HERE(K)); }
func_common(A) ::= NORMALIZE(K) LP a_expr(E) RP. { A = parser__special(p, "normalize", parser__list(p, E), HERE(K)); }

%type extract_field {struct parser_token}
extract_field(A) ::= IDENT(T). { A = T; }
extract_field(A) ::= YEAR(T). { A = T; }
extract_field(A) ::= MONTH(T). { A = T; }
extract_field(A) ::= DAY(T). { A = T; }
extract_field(A) ::= HOUR(T). { A = T; }
extract_field(A) ::= MINUTE(T). { A = T; }
extract_field(A) ::= SECOND(T). { A = T; }
extract_field(A) ::= SCONST(T). { A = T; }
%type opt_func_arg_list {struct ast_list *}
opt_func_arg_list(A) ::= . { A = NULL; }
opt_func_arg_list(A) ::= func_arg_list(L). { A = L; }
%type trim_list {struct ast_list *}
trim_list(A) ::= a_expr(C) FROM expr_list(L). { A = parser__append(p, L, C); }
trim_list(A) ::= FROM expr_list(L). { A = L; }
trim_list(A) ::= expr_list(L). { A = L; }

/* ---- INSERT, UPDATE, DELETE ------------------------------------------------------------------ */

insert_stmt(A) ::= opt_with_clause(W) INSERT(K) INTO insert_target(T) insert_rest(R) on_conflict(C) returning_clause(L). {
    A = NODE(R);
    R->node.location = HERE(K);
    R->table = T; R->conflict = C; R->returning = L;
    if (W != NULL) { R->with = *W; parser__above_list(p, R, W->ctes); }
    parser__above_list(p, R, L);
    parser__above(p, R, C);
}
%type insert_target {struct ast_table *}
insert_target(A) ::= qualified_name(T). { A = T; }
insert_target(A) ::= qualified_name(T) AS col_id(N). { A = T; A->alias = N.text; }
%type insert_rest {struct ast_insert *}
insert_rest(A) ::= select_stmt(S). { A = NEW(AST_INSERT, insert, -1); A->source = S; parser__above(p, A, S); }
insert_rest(A) ::= OVERRIDING overriding(O) VALUE select_stmt(S). { A = NEW(AST_INSERT, insert, -1); A->source = S; A->overriding = O; parser__above(p, A, S); }
insert_rest(A) ::= LP insert_columns(C) RP select_stmt(S). { A = NEW(AST_INSERT, insert, -1); A->source = S; A->columns = C; parser__above(p, A, S); }
insert_rest(A) ::= LP insert_columns(C) RP OVERRIDING overriding(O) VALUE select_stmt(S). { A = NEW(AST_INSERT, insert, -1); A->source = S; A->columns = C; A->overriding = O; parser__above(p, A, S); }
insert_rest(A) ::= DEFAULT VALUES. { A = NEW(AST_INSERT, insert, -1); }
%type overriding {enum ast_overriding}
overriding(A) ::= USER. { A = AST_OVERRIDING_USER; }
overriding(A) ::= SYSTEM. { A = AST_OVERRIDING_SYSTEM; }
%type insert_columns {struct ast_list *}
insert_columns(A) ::= insert_column(C). { A = parser__list(p, C); }
insert_columns(A) ::= insert_columns(L) COMMA insert_column(C). { A = parser__append(p, L, C); }
insert_column(A) ::= col_id(N) opt_indirection(I). { A = parser__part_target(p, N, I); }

%type on_conflict {struct ast_conflict *}
on_conflict(A) ::= . { A = NULL; }
on_conflict(A) ::= ON(K) CONFLICT conflict_target(T) DO UPDATE SET set_list(S) where_clause(W). {
    A = T; A->node.location = HERE(K); A->update = true; A->set = S; A->where = W;
    parser__above_list(p, A, S); parser__above(p, A, W);
}
on_conflict(A) ::= ON(K) CONFLICT conflict_target(T) DO NOTHING. { A = T; A->node.location = HERE(K); }
%type conflict_target {struct ast_conflict *}
conflict_target(A) ::= . { A = NEW(AST_CONFLICT, conflict, -1); }
conflict_target(A) ::= LP index_params(C) RP where_clause(W). { A = NEW(AST_CONFLICT, conflict, -1); A->columns = C; A->index_where = W; parser__above(p, A, W); parser__above_list(p, A, C); }
conflict_target(A) ::= ON CONSTRAINT col_id(N). { A = NEW(AST_CONFLICT, conflict, -1); A->constraint = N.text; }

%type returning_clause {struct ast_list *}
returning_clause(A) ::= . { A = NULL; }
returning_clause(A) ::= RETURNING target_list(L). { A = L; }

update_stmt(A) ::= opt_with_clause(W) UPDATE(K) target_table(T) SET set_list(S) from_clause(F) where_or_current(C) returning_clause(L). {
    struct ast_update *update = NEW(AST_UPDATE, update, HERE(K));
    if (W != NULL) { update->with = *W; parser__above_list(p, update, W->ctes); }
    update->table = T; update->set = S; update->from = F; update->returning = L;
    update->where = C.expr; update->where_current_of = C.cursor;
    parser__above_list(p, update, S); parser__above_list(p, update, F);
    parser__above(p, update, C.expr); parser__above_list(p, update, L);
    A = NODE(update);
}
%type where_or_current {struct {struct ast_node *expr; const char *cursor;}}
where_or_current(A) ::= . { A.expr = NULL; A.cursor = NULL; }
where_or_current(A) ::= WHERE a_expr(E). { A.expr = E; A.cursor = NULL; }
where_or_current(A) ::= WHERE CURRENT OF col_id(N). { A.expr = NULL; A.cursor = N.text; }

%type set_list {struct ast_list *}
set_list(A) ::= set_item(L). { A = L; }
set_list(A) ::= set_list(L) COMMA set_item(M). { A = parser__concat(p, L, M); }
%type set_item {struct ast_list *}
set_item(A) ::= set_target(T) EQ a_expr(E). { ((struct ast_target *)T)->value = E; parser__above(p, T, E); A = parser__list(p, T); }
set_item(A) ::= LP set_targets(L) RP EQ a_expr(E). { A = parser__multi_assign(p, L, E); }
%type set_targets {struct ast_list *}
set_targets(A) ::= set_target(T). { A = parser__list(p, T); }
set_targets(A) ::= set_targets(L) COMMA set_target(T). { A = parser__append(p, L, T); }
set_target(A) ::= col_id(N) opt_indirection(I). { A = parser__part_target(p, N, I); }

delete_stmt(A) ::= opt_with_clause(W) DELETE(K) FROM target_table(T) using_clause(F) where_or_current(C) returning_clause(L). {
    struct ast_delete *delete = NEW(AST_DELETE, delete, HERE(K));
    if (W != NULL) { delete->with = *W; parser__above_list(p, delete, W->ctes); }
    delete->table = T; delete->using_from = F; delete->returning = L;
    delete->where = C.expr; delete->where_current_of = C.cursor;
    parser__above_list(p, delete, F); parser__above(p, delete, C.expr); parser__above_list(p, delete, L);
    A = NODE(delete);
}
%type using_clause {struct ast_list *}
using_clause(A) ::= . { A = NULL; }
using_clause(A) ::= USING from_list(L). { A = L; }

/* ---- definitions ----------------------------------------------------------------------------- */

%type persistence {enum ast_persistence}
persistence(A) ::= . { A = AST_PERMANENT; }
persistence(A) ::= temporary. { A = AST_TEMPORARY; }
persistence(A) ::= UNLOGGED. { A = AST_UNLOGGED; }

utility_stmt(A) ::= CREATE(K) persistence(P) TABLE if_not_exists(X) qualified_name(T) LP opt_table_elements(L) RP inherits(I) partition_by(B) shard_by(D) access_method(M) with_options(O) on_commit(C) opt_tablespace(S). {
    struct ast_create_table *create = NEW(AST_CREATE_TABLE, create_table, HERE(K));
    create->shard = D;
    create->persistence = P; create->if_not_exists = X; create->table = T; create->elements = L;
    create->inherits = I; create->partition_by = B.text; create->access_method = M.text;
    create->options = O; create->on_commit = C; create->tablespace = S.text;
    A = NODE(create);
}
%type opt_table_elements {struct ast_list *}
opt_table_elements(A) ::= . { A = NULL; }
opt_table_elements(A) ::= table_elements(L). { A = L; }
%type table_elements {struct ast_list *}
table_elements(A) ::= table_element(E). { A = parser__list(p, E); }
table_elements(A) ::= table_elements(L) COMMA table_element(E). { A = parser__append(p, L, E); }
table_element(A) ::= column_def(C). { A = C; }
table_element(A) ::= table_constraint(C). { A = C; }
table_element(A) ::= LIKE(K) qualified_name(T) like_options(L). {
    struct ast_like_table *like = NEW(AST_LIKE_TABLE, like_table, HERE(K));
    like->table = T; like->options = L;
    A = NODE(like);
}
%type like_options {struct ast_list *}
like_options(A) ::= . { A = NULL; }
like_options(A) ::= like_options(L) INCLUDING(K) like_option(O). { struct ast_node *n = parser__name(p, K); ((struct ast_name *)n)->text = arena_printf(p->arena, "including %s", O.text); A = L == NULL ? parser__list(p, n) : parser__append(p, L, n); }
like_options(A) ::= like_options(L) EXCLUDING(K) like_option(O). { struct ast_node *n = parser__name(p, K); ((struct ast_name *)n)->text = arena_printf(p->arena, "excluding %s", O.text); A = L == NULL ? parser__list(p, n) : parser__append(p, L, n); }
%type like_option {struct parser_token}
like_option(A) ::= COMMENTS(K). { A = K; }
like_option(A) ::= COMPRESSION(K). { A = K; }
like_option(A) ::= CONSTRAINTS(K). { A = K; }
like_option(A) ::= DEFAULTS(K). { A = K; }
like_option(A) ::= IDENTITY(K). { A = K; }
like_option(A) ::= GENERATED(K). { A = K; }
like_option(A) ::= INDEXES(K). { A = K; }
like_option(A) ::= STATISTICS(K). { A = K; }
like_option(A) ::= STORAGE(K). { A = K; }
like_option(A) ::= ALL(K). { A = K; }

%type inherits {struct ast_list *}
inherits(A) ::= . { A = NULL; }
inherits(A) ::= INHERITS LP qualified_name_list(L) RP. { A = L; }
%type partition_by {struct parser_token}
partition_by(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
partition_by(A) ::= PARTITION BY col_id(N) LP index_params RP. { A = N; }
/* Words of sharding are identifiers, so that PostgreSQL's list of keywords stays what it is. */
%type shard_by {struct ast_shard *}
shard_by(A) ::= . { A = NULL; }
shard_by(A) ::= IDENT(K). { parser__expect_word(p, K, "replicated"); A = NEW(AST_SHARD, shard, HERE(K)); A->kind = AST_SHARD_EVERYWHERE; }
shard_by(A) ::= IDENT(K) BY IDENT(H) LP col_id(C) RP shard_buckets(N) shard_colocate(T). {
    parser__expect_word(p, K, "shard"); parser__expect_word(p, H, "hash");
    A = NEW(AST_SHARD, shard, HERE(K)); A->kind = AST_SHARD_BY_HASH; A->column = C.text; A->buckets = N; A->colocate = T;
}
shard_by(A) ::= IDENT(K) BY RANGE LP col_id(C) RP LP expr_list(L) RP shard_colocate(T). {
    parser__expect_word(p, K, "shard");
    A = NEW(AST_SHARD, shard, HERE(K)); A->kind = AST_SHARD_BY_RANGE; A->column = C.text; A->entries = L; A->colocate = T;
}
shard_by(A) ::= IDENT(K) BY RANGE LP col_id(C) RP shard_colocate(T). {
    parser__expect_word(p, K, "shard");
    A = NEW(AST_SHARD, shard, HERE(K)); A->kind = AST_SHARD_BY_RANGE; A->column = C.text; A->colocate = T;
}
shard_by(A) ::= IDENT(K) BY IDENT(H) LP col_id(C) RP LP shard_lists(L) RP shard_colocate(T). {
    parser__expect_word(p, K, "shard"); parser__expect_word(p, H, "list");
    A = NEW(AST_SHARD, shard, HERE(K)); A->kind = AST_SHARD_BY_LIST; A->column = C.text; A->entries = L; A->colocate = T;
}
%type shard_buckets {int32_t}
shard_buckets(A) ::= IDENT(K) ICONST(N). { parser__expect_word(p, K, "buckets"); A = parser__int32(p, N); }
%type shard_colocate {struct ast_table *}
shard_colocate(A) ::= . { A = NULL; }
shard_colocate(A) ::= IDENT(K) WITH qualified_name(T). { parser__expect_word(p, K, "colocate"); A = T; }
%type shard_lists {struct ast_list *}
shard_lists(A) ::= shard_list(L). { A = parser__list(p, L); }
shard_lists(A) ::= shard_lists(L) COMMA shard_list(N). { A = parser__append(p, L, N); }
shard_list(A) ::= LP(K) expr_list(L) RP shard_node(N). {
    struct ast_shard_list *list = NEW(AST_SHARD_LIST, shard_list, HERE(K));
    list->values = L; list->on_node = N.text;
    A = NODE(list);
}
%type shard_node {struct parser_token}
shard_node(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
shard_node(A) ::= ON SCONST(N). { A = N; }
shard_node(A) ::= ON col_id(N). { A = N; }

%type access_method {struct parser_token}
access_method(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
access_method(A) ::= USING col_id(N). { A = N; }
%type opt_tablespace {struct parser_token}
opt_tablespace(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
opt_tablespace(A) ::= TABLESPACE col_id(N). { A = N; }
%type on_commit {enum ast_on_commit}
on_commit(A) ::= . { A = AST_ON_COMMIT_NONE; }
on_commit(A) ::= ON COMMIT DROP. { A = AST_ON_COMMIT_DROP; }
on_commit(A) ::= ON COMMIT DELETE ROWS. { A = AST_ON_COMMIT_DELETE; }
on_commit(A) ::= ON COMMIT PRESERVE ROWS. { A = AST_ON_COMMIT_PRESERVE; }
%type with_options {struct ast_list *}
with_options(A) ::= . { A = NULL; }
with_options(A) ::= WITH rel_options(L). { A = L; }
with_options(A) ::= WITHOUT OIDS. { A = NULL; }
%type opt_rel_options {struct ast_list *}
opt_rel_options(A) ::= . { A = NULL; }
opt_rel_options(A) ::= WITH rel_options(L). { A = L; }
%type rel_options {struct ast_list *}
rel_options(A) ::= LP rel_option_list(L) RP. { A = L; }
%type rel_option_list {struct ast_list *}
rel_option_list(A) ::= rel_option(O). { A = parser__list(p, O); }
rel_option_list(A) ::= rel_option_list(L) COMMA rel_option(O). { A = parser__append(p, L, O); }
rel_option(A) ::= col_label(N). { A = parser__option(p, N.text, NULL, HERE(N)); }
rel_option(A) ::= col_label(N) EQ def_arg(V). { A = parser__option(p, N.text, V, HERE(N)); }
rel_option(A) ::= col_label(S) DOT col_label(N). { A = parser__option(p, N.text, NULL, HERE(S)); ((struct ast_option *)A)->schema = S.text; }
rel_option(A) ::= col_label(S) DOT col_label(N) EQ def_arg(V). { A = parser__option(p, N.text, V, HERE(S)); ((struct ast_option *)A)->schema = S.text; }
def_arg(A) ::= non_reserved_word(N). { A = parser__word(p, N.text, HERE(N)); }
def_arg(A) ::= reserved_keyword(N). { A = parser__word(p, N.text, HERE(N)); }
def_arg(A) ::= numeric_only(N). { A = N; }
def_arg(A) ::= SCONST(T). { A = parser__string(p, AST_CONST_STRING, T); }

column_def(A) ::= col_id(N) typename(T) column_quals(Q). {
    struct ast_column_def *def = NEW(AST_COLUMN_DEF, column_def, HERE(N));
    def->name = N.text; def->type = T; def->constraints = Q.list; def->collation = Q.collation;
    A = NODE(def);
}
%type column_quals {struct {struct ast_list *list; const char *collation;}}
column_quals(A) ::= . { A.list = NULL; A.collation = NULL; }
column_quals(A) ::= column_quals(L) COLLATE any_name(N). { A = L; A.collation = N->name; }
column_quals(A) ::= column_quals(L) column_constraint(C). { A = L; A.list = L.list == NULL ? parser__list(p, C) : parser__append(p, L.list, C); }
/* DEFERRABLE and the like stand behind the constraint they belong to. */
column_quals(A) ::= column_quals(L) constraint_attribute_word(W). {
    A = L;
    struct ast_constraint *last = L.list == NULL ? NULL : (struct ast_constraint *)L.list->items[L.list->count - 1];
    if (last == NULL || (last->kind != AST_CONSTRAINT_FOREIGN && last->kind != AST_CONSTRAINT_UNIQUE && last->kind != AST_CONSTRAINT_PRIMARY))
        parser__fail(p, -1, ERR_SYNTAX, "misplaced %s clause", W & (ATTRIBUTE_DEFERRABLE | ATTRIBUTE_NOT_DEFERRABLE) ? "DEFERRABLE" : "INITIALLY DEFERRED");
    else
        parser__constraint_attributes(p, last, W, -1);
}
%type constraint_attribute_word {int64_t}
constraint_attribute_word(A) ::= DEFERRABLE. { A = ATTRIBUTE_DEFERRABLE; }
constraint_attribute_word(A) ::= NOT DEFERRABLE. { A = ATTRIBUTE_NOT_DEFERRABLE; }
constraint_attribute_word(A) ::= INITIALLY DEFERRED. { A = ATTRIBUTE_INITIALLY_DEFERRED; }
constraint_attribute_word(A) ::= INITIALLY IMMEDIATE. { A = ATTRIBUTE_INITIALLY_IMMEDIATE; }

column_constraint(A) ::= CONSTRAINT(K) col_id(N) column_constraint_elem(C). { C->name = N.text; C->node.location = HERE(K); A = NODE(C); }
column_constraint(A) ::= column_constraint_elem(C). { A = NODE(C); }
%type column_constraint_elem {struct ast_constraint *}
column_constraint_elem(A) ::= NOT(K) NULL. { A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_NOT_NULL; }
column_constraint_elem(A) ::= NULL(K). { A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_NULL; }
column_constraint_elem(A) ::= UNIQUE(K) nulls_distinct(D) with_options(O) index_tablespace. { A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_UNIQUE; A->nulls_not_distinct = D; A->options = O; }
column_constraint_elem(A) ::= PRIMARY(K) KEY with_options(O) index_tablespace. { A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_PRIMARY; A->options = O; }
column_constraint_elem(A) ::= CHECK(K) LP mark(S) a_expr(E) mark_end(Z) RP no_inherit(I). {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_CHECK; A->expr = E; A->no_inherit = I;
    parser__range(p, S, Z, &A->expr_start, &A->expr_size);
}
column_constraint_elem(A) ::= DEFAULT(K) mark(S) b_expr(E). {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_DEFAULT; A->expr = E;
    parser__range(p, S, (int32_t)p->prev_end, &A->expr_start, &A->expr_size);
}
column_constraint_elem(A) ::= GENERATED(K) mark generated_when(W) AS IDENTITY opt_sequence_options(L). { A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_IDENTITY; A->always = W; A->options = L; }
column_constraint_elem(A) ::= GENERATED(K) mark(M) generated_when(W) AS LP mark(S) a_expr(E) mark_end(Z) RP STORED. {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_GENERATED; A->always = W; A->expr = E;
    if (!W) parser__fail(p, M, ERR_SYNTAX, "for a generated column, GENERATED ALWAYS must be specified");
    parser__range(p, S, Z, &A->expr_start, &A->expr_size);
}
column_constraint_elem(A) ::= REFERENCES(K) qualified_name(T) opt_name_list(L) key_match(M) key_actions(X). {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_FOREIGN; A->table = T; A->table_columns = L; A->match = M;
    parser__key_actions(A, X);
}
%type generated_when {bool}
generated_when(A) ::= ALWAYS. { A = true; }
generated_when(A) ::= BY DEFAULT. { A = false; }
%type no_inherit {bool}
no_inherit(A) ::= . { A = false; }
no_inherit(A) ::= NO INHERIT. { A = true; }
%type nulls_distinct {bool}
nulls_distinct(A) ::= . { A = false; }
nulls_distinct(A) ::= NULLS DISTINCT. { A = false; }
nulls_distinct(A) ::= NULLS NOT DISTINCT. { A = true; }
index_tablespace ::= .
index_tablespace ::= USING INDEX TABLESPACE col_id.

%type key_match {enum ast_fk_match}
key_match(A) ::= . { A = AST_FK_SIMPLE; }
key_match(A) ::= MATCH FULL. { A = AST_FK_FULL; }
key_match(A) ::= MATCH PARTIAL. { A = AST_FK_PARTIAL; }
key_match(A) ::= MATCH SIMPLE. { A = AST_FK_SIMPLE; }
%type key_actions {struct parser__key_actions}
key_actions(A) ::= . { A = (struct parser__key_actions){0}; }
key_actions(A) ::= on_key_update(U). { A = (struct parser__key_actions){.update = U}; }
key_actions(A) ::= on_key_delete(D). { A = (struct parser__key_actions){.delete = D}; }
key_actions(A) ::= on_key_update(U) on_key_delete(D). { A = (struct parser__key_actions){.update = U, .delete = D}; }
key_actions(A) ::= on_key_delete(D) on_key_update(U). { A = (struct parser__key_actions){.update = U, .delete = D}; }
%type on_key_update {struct parser__key_action}
on_key_update(A) ::= ON UPDATE(K) key_action(U). {
    A = U;
    if (U.columns != NULL) parser__fail(p, HERE(K), ERR_FEATURE_NOT_SUPPORTED, "a column list with %s is only supported for ON DELETE actions", U.action == AST_FK_SET_NULL ? "SET NULL" : "SET DEFAULT");
}
%type on_key_delete {struct parser__key_action}
on_key_delete(A) ::= ON DELETE key_action(D). { A = D; }
%type key_action {struct parser__key_action}
key_action(A) ::= NO ACTION. { A = (struct parser__key_action){.action = AST_FK_NO_ACTION}; }
key_action(A) ::= RESTRICT. { A = (struct parser__key_action){.action = AST_FK_RESTRICT}; }
key_action(A) ::= CASCADE. { A = (struct parser__key_action){.action = AST_FK_CASCADE}; }
key_action(A) ::= SET NULL opt_name_list(L). { A = (struct parser__key_action){.action = AST_FK_SET_NULL, .columns = L}; }
key_action(A) ::= SET DEFAULT opt_name_list(L). { A = (struct parser__key_action){.action = AST_FK_SET_DEFAULT, .columns = L}; }

table_constraint(A) ::= CONSTRAINT(K) col_id(N) constraint_elem(C). { C->name = N.text; C->node.location = HERE(K); A = NODE(C); }
table_constraint(A) ::= constraint_elem(C). { A = NODE(C); }
%type constraint_elem {struct ast_constraint *}
constraint_elem(A) ::= CHECK(K) LP mark(S) a_expr(E) mark_end(Z) RP constraint_attributes(W). {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_CHECK; A->expr = E;
    parser__range(p, S, Z, &A->expr_start, &A->expr_size);
    parser__constraint_attributes(p, A, W, -1);
}
constraint_elem(A) ::= UNIQUE(K) nulls_distinct(D) LP name_list(L) RP index_including(I) with_options(O) index_tablespace constraint_attributes(W). {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_UNIQUE; A->columns = L; A->including = I; A->options = O; A->nulls_not_distinct = D;
    parser__constraint_attributes(p, A, W, -1);
}
constraint_elem(A) ::= UNIQUE(K) USING INDEX col_id(N) constraint_attributes(W). {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_UNIQUE; A->using_index = N.text;
    parser__constraint_attributes(p, A, W, -1);
}
constraint_elem(A) ::= PRIMARY(K) KEY LP name_list(L) RP index_including(I) with_options(O) index_tablespace constraint_attributes(W). {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_PRIMARY; A->columns = L; A->including = I; A->options = O;
    parser__constraint_attributes(p, A, W, -1);
}
constraint_elem(A) ::= PRIMARY(K) KEY USING INDEX col_id(N) constraint_attributes(W). {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_PRIMARY; A->using_index = N.text;
    parser__constraint_attributes(p, A, W, -1);
}
constraint_elem(A) ::= FOREIGN(K) KEY LP name_list(C) RP REFERENCES qualified_name(T) opt_name_list(L) key_match(M) key_actions(X) constraint_attributes(W). {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_FOREIGN; A->columns = C; A->table = T; A->table_columns = L; A->match = M;
    parser__key_actions(A, X);
    parser__constraint_attributes(p, A, W, -1);
}
constraint_elem(A) ::= EXCLUDE(K) access_method LP exclude_list RP index_including with_options index_tablespace exclude_where constraint_attributes. {
    A = NEW(AST_CONSTRAINT, constraint, HERE(K)); A->kind = AST_CONSTRAINT_EXCLUDE;
}
exclude_list ::= exclude_item.
exclude_list ::= exclude_list COMMA exclude_item.
exclude_item ::= index_elem WITH qual_all_op.
exclude_where ::= .
exclude_where ::= WHERE LP a_expr RP.
%type constraint_attributes {int64_t}
constraint_attributes(A) ::= . { A = 0; }
constraint_attributes(A) ::= constraint_attributes(L) constraint_attribute_word(W). { A = L | W; }
constraint_attributes(A) ::= constraint_attributes(L) NOT VALID. { A = L | ATTRIBUTE_NOT_VALID; }
constraint_attributes(A) ::= constraint_attributes(L) NO INHERIT. { A = L | ATTRIBUTE_NO_INHERIT; }

%type index_including {struct ast_list *}
index_including(A) ::= . { A = NULL; }
index_including(A) ::= INCLUDE LP index_params(L) RP. { A = L; }

/* CREATE TABLE AS */
utility_stmt(A) ::= CREATE(K) persistence(P) TABLE if_not_exists(X) create_as_target(T) AS select_stmt(S) with_data(D). {
    T->node.location = HERE(K); T->persistence = P; T->if_not_exists = X; T->query = NODE(S); T->with_no_data = !D;
    A = NODE(T);
}
utility_stmt(A) ::= CREATE(K) persistence(P) TABLE if_not_exists(X) create_as_target(T) AS EXECUTE(E) col_id(N) execute_args(L) with_data(D). {
    struct ast_execute *execute = NEW(AST_EXECUTE, execute, HERE(E));
    execute->name = N.text; execute->args = L;
    T->node.location = HERE(K); T->persistence = P; T->if_not_exists = X; T->query = NODE(execute); T->with_no_data = !D;
    A = NODE(T);
}
utility_stmt(A) ::= CREATE(K) persistence(P) MATERIALIZED VIEW if_not_exists(X) create_as_target(T) AS select_stmt(S) with_data(D). {
    T->node.location = HERE(K); T->persistence = P; T->if_not_exists = X; T->query = NODE(S); T->with_no_data = !D; T->materialized = true;
    A = NODE(T);
}
utility_stmt(A) ::= REFRESH(K) MATERIALIZED VIEW qualified_name(T) with_data(D). { A = NODE(NEW(AST_REFRESH, refresh, HERE(K))); ((struct ast_refresh *)A)->view = T; ((struct ast_refresh *)A)->with_no_data = !D; }
utility_stmt(A) ::= REFRESH(K) MATERIALIZED VIEW CONCURRENTLY qualified_name(T) with_data(D). { A = NODE(NEW(AST_REFRESH, refresh, HERE(K))); ((struct ast_refresh *)A)->view = T; ((struct ast_refresh *)A)->with_no_data = !D; ((struct ast_refresh *)A)->concurrently = true; }
%type create_as_target {struct ast_create_table_as *}
create_as_target(A) ::= qualified_name(T) opt_name_list(L) access_method with_options(O) on_commit(C) opt_tablespace. {
    A = NEW(AST_CREATE_TABLE_AS, create_table_as, -1);
    A->table = T; A->columns = L; A->options = O; A->on_commit = C;
}
%type with_data {bool}
with_data(A) ::= . { A = true; }
with_data(A) ::= WITH DATA. { A = true; }
with_data(A) ::= WITH NO DATA. { A = false; }

/* indexes */
utility_stmt(A) ::= CREATE(K) unique(U) INDEX concurrently(C) index_name(N) ON relation_expr(T) access_method(M) LP index_params(L) RP index_including(I) nulls_distinct(D) opt_rel_options(O) opt_tablespace(S) where_clause(W). {
    struct ast_create_index *create = NEW(AST_CREATE_INDEX, create_index, HERE(K));
    create->unique = U; create->concurrently = C; create->name = N.name; create->if_not_exists = N.if_not_exists;
    create->table = T; create->method = M.text; create->columns = L; create->including = I;
    create->nulls_not_distinct = D; create->options = O; create->tablespace = S.text; create->where = W;
    A = NODE(create);
}
%type unique {bool}
unique(A) ::= . { A = false; }
unique(A) ::= UNIQUE. { A = true; }
%type concurrently {bool}
concurrently(A) ::= . { A = false; }
concurrently(A) ::= CONCURRENTLY. { A = true; }
%type index_name {struct {const char *name; bool if_not_exists;}}
index_name(A) ::= . { A.name = NULL; A.if_not_exists = false; }
index_name(A) ::= col_id(N). { A.name = N.text; A.if_not_exists = false; }
index_name(A) ::= IF NOT EXISTS col_id(N). { A.name = N.text; A.if_not_exists = true; }
%type index_params {struct ast_list *}
index_params(A) ::= index_elem(E). { A = parser__list(p, E); }
index_params(A) ::= index_params(L) COMMA index_elem(E). { A = parser__append(p, L, E); }
%type index_elem {struct ast_index_column *}
index_elem(A) ::= col_id(N) index_elem_options(O). { A = O; A->node.location = HERE(N); A->name = N.text; }
index_elem(A) ::= func_expr_windowless(E) index_elem_options(O). { A = O; A->node.location = E->location; A->expr = E; parser__above(p, A, E); }
index_elem(A) ::= LP(K) a_expr(E) RP index_elem_options(O). { A = O; A->node.location = HERE(K); A->expr = E; parser__above(p, A, E); }
%type index_elem_options {struct ast_index_column *}
index_elem_options(A) ::= opt_collate(C) opt_class(N) asc_desc(D) nulls_order(U). {
    A = NEW(AST_INDEX_COLUMN, index_column, -1);
    A->collation = C == NULL ? NULL : C->name; A->operator_class = N == NULL ? NULL : N->name; A->order = D; A->nulls = U;
}
%type opt_class {struct parser_any_name *}
opt_class(A) ::= . { A = NULL; }
opt_class(A) ::= any_name(N). { A = N; }
opt_class(A) ::= any_name(N) rel_options. { A = N; }

/* views */
utility_stmt(A) ::= CREATE(K) view_head(V) AS mark(B) select_stmt(S) mark_end(Z) check_option(C). {
    V->node.location = HERE(K); V->query = S; V->check_option = C;
    parser__range(p, B, Z, &V->query_start, &V->query_size);
    A = NODE(V);
}
utility_stmt(A) ::= CREATE(K) OR REPLACE view_head(V) AS mark(B) select_stmt(S) mark_end(Z) check_option(C). {
    V->node.location = HERE(K); V->query = S; V->check_option = C; V->replace = true;
    parser__range(p, B, Z, &V->query_start, &V->query_size);
    A = NODE(V);
}
%type view_head {struct ast_create_view *}
view_head(A) ::= persistence(P) recursive(Y) VIEW qualified_name(T) opt_name_list(L) opt_rel_options(O). {
    A = NEW(AST_CREATE_VIEW, create_view, -1);
    A->persistence = P; A->recursive = Y; A->view = T; A->columns = L; A->options = O;
}
%type mark_end {int32_t}
mark_end(A) ::= . { A = (int32_t)p->prev_end; }
%type recursive {bool}
recursive(A) ::= . { A = false; }
recursive(A) ::= RECURSIVE. { A = true; }
%type check_option {const char *}
check_option(A) ::= . { A = NULL; }
check_option(A) ::= WITH CHECK OPTION. { A = "cascaded"; }
check_option(A) ::= WITH CASCADED CHECK OPTION. { A = "cascaded"; }
check_option(A) ::= WITH LOCAL CHECK OPTION. { A = "local"; }

/* schemas, sequences, databases, roles, types */
utility_stmt(A) ::= CREATE(K) SCHEMA if_not_exists(X) col_id(N). {
    struct ast_create_schema *create = NEW(AST_CREATE_SCHEMA, create_schema, HERE(K));
    create->if_not_exists = X; create->name = N.text;
    A = NODE(create);
}
utility_stmt(A) ::= CREATE(K) SCHEMA if_not_exists(X) AUTHORIZATION role_name(R). {
    struct ast_create_schema *create = NEW(AST_CREATE_SCHEMA, create_schema, HERE(K));
    create->if_not_exists = X; create->role = R.text;
    A = NODE(create);
}
utility_stmt(A) ::= CREATE(K) SCHEMA if_not_exists(X) col_id(N) AUTHORIZATION role_name(R). {
    struct ast_create_schema *create = NEW(AST_CREATE_SCHEMA, create_schema, HERE(K));
    create->if_not_exists = X; create->name = N.text; create->role = R.text;
    A = NODE(create);
}
%type role_name {struct parser_token}
role_name(A) ::= non_reserved_word(N). { A = N; }
role_name(A) ::= CURRENT_USER(N). { A = N; }
role_name(A) ::= CURRENT_ROLE(N). { A = N; }
role_name(A) ::= SESSION_USER(N). { A = N; }
/* The name of a role to be made. */
%type role_id {struct parser_token}
role_id(A) ::= role_name(N). { A = N; parser__role_id(p, N); }
%type role_list {struct ast_list *}
role_list(A) ::= role_name(R). { A = parser__list(p, parser__name(p, R)); }
role_list(A) ::= role_list(L) COMMA role_name(R). { A = parser__append(p, L, parser__name(p, R)); }

utility_stmt(A) ::= CREATE(K) persistence(P) SEQUENCE if_not_exists(X) qualified_name(T) sequence_options(L). {
    struct ast_create_sequence *create = NEW(AST_CREATE_SEQUENCE, create_sequence, HERE(K));
    create->persistence = P; create->if_not_exists = X; create->sequence = T; create->options = L;
    A = NODE(create);
}
utility_stmt(A) ::= ALTER(K) SEQUENCE if_exists(X) qualified_name(T) sequence_option(O) sequence_options(L). {
    struct ast_alter_sequence *alter = NEW(AST_ALTER_SEQUENCE, alter_sequence, HERE(K));
    alter->if_exists = X; alter->sequence = T; alter->options = parser__concat(p, parser__list(p, O), L);
    A = NODE(alter);
}
%type opt_sequence_options {struct ast_list *}
opt_sequence_options(A) ::= . { A = NULL; }
opt_sequence_options(A) ::= LP sequence_options(L) RP. { A = L; }
%type sequence_options {struct ast_list *}
sequence_options(A) ::= . { A = NULL; }
sequence_options(A) ::= sequence_options(L) sequence_option(O). { A = L == NULL ? parser__list(p, O) : parser__append(p, L, O); }
sequence_option(A) ::= AS(K) simple_typename(T). { A = parser__option(p, "as", NODE(T), HERE(K)); }
sequence_option(A) ::= CACHE(K) numeric_only(N). { A = parser__option(p, "cache", N, HERE(K)); }
sequence_option(A) ::= CYCLE(K). { A = parser__option(p, "cycle", parser__bool_const(p, true, HERE(K)), HERE(K)); }
sequence_option(A) ::= NO CYCLE(K). { A = parser__option(p, "cycle", parser__bool_const(p, false, HERE(K)), HERE(K)); }
sequence_option(A) ::= INCREMENT(K) numeric_only(N). { A = parser__option(p, "increment", N, HERE(K)); }
sequence_option(A) ::= INCREMENT(K) BY numeric_only(N). { A = parser__option(p, "increment", N, HERE(K)); }
sequence_option(A) ::= MAXVALUE(K) numeric_only(N). { A = parser__option(p, "maxvalue", N, HERE(K)); }
sequence_option(A) ::= MINVALUE(K) numeric_only(N). { A = parser__option(p, "minvalue", N, HERE(K)); }
sequence_option(A) ::= NO MAXVALUE(K). { A = parser__option(p, "maxvalue", NULL, HERE(K)); }
sequence_option(A) ::= NO MINVALUE(K). { A = parser__option(p, "minvalue", NULL, HERE(K)); }
sequence_option(A) ::= OWNED(K) BY any_name(N). {
    A = parser__option(p, "owned_by", NULL, HERE(K));
    struct ast_list *list = parser__list(p, NULL);
    if (N->catalog != NULL) parser__append(p, list, parser__name(p, (struct parser_token){N->catalog, 0, N->location}));
    if (N->schema != NULL) parser__append(p, list, parser__name(p, (struct parser_token){N->schema, 0, N->location}));
    parser__append(p, list, parser__name(p, (struct parser_token){N->name, 0, N->location}));
    ((struct ast_option *)A)->list = list;
}
sequence_option(A) ::= SEQUENCE(K) IDENT(W) any_name(N). {
    parser__expect_word(p, W, "name");
    A = parser__option(p, "sequence_name", NODE(parser__table(p, N)), HERE(K));
}
sequence_option(A) ::= START(K) numeric_only(N). { A = parser__option(p, "start", N, HERE(K)); }
sequence_option(A) ::= START(K) WITH numeric_only(N). { A = parser__option(p, "start", N, HERE(K)); }
sequence_option(A) ::= RESTART(K). { A = parser__option(p, "restart", NULL, HERE(K)); }
sequence_option(A) ::= RESTART(K) numeric_only(N). { A = parser__option(p, "restart", N, HERE(K)); }
sequence_option(A) ::= RESTART(K) WITH numeric_only(N). { A = parser__option(p, "restart", N, HERE(K)); }

utility_stmt(A) ::= CREATE(K) DATABASE col_id(N) database_options(L). {
    struct ast_create_database *create = NEW(AST_CREATE_DATABASE, create_database, HERE(K));
    create->name = N.text; create->options = L;
    A = NODE(create);
}
%type database_options {struct ast_list *}
database_options(A) ::= . { A = NULL; }
database_options(A) ::= WITH database_option_list(L). { A = L; }
database_options(A) ::= database_option_list(L). { A = L; }
%type database_option_list {struct ast_list *}
database_option_list(A) ::= database_option(O). { A = parser__list(p, O); }
database_option_list(A) ::= database_option_list(L) database_option(O). { A = parser__append(p, L, O); }
database_option(A) ::= database_option_name(N) opt_equal numeric_only(V). { A = parser__option(p, N.text, V, HERE(N)); }
database_option(A) ::= database_option_name(N) opt_equal boolean_or_string(V). { A = parser__option(p, N.text, parser__word(p, V.text, HERE(V)), HERE(N)); }
database_option(A) ::= database_option_name(N) opt_equal DEFAULT. { A = parser__option(p, N.text, NULL, HERE(N)); }
%type database_option_name {struct parser_token}
database_option_name(A) ::= IDENT(N). { A = N; }
database_option_name(A) ::= CONNECTION(N) LIMIT. { A = N; A.text = "connection_limit"; }
database_option_name(A) ::= ENCODING(N). { A = N; }
database_option_name(A) ::= LOCATION(N). { A = N; }
database_option_name(A) ::= OWNER(N). { A = N; }
database_option_name(A) ::= TABLESPACE(N). { A = N; }
database_option_name(A) ::= TEMPLATE(N). { A = N; }
opt_equal ::= .
opt_equal ::= EQ.
%type boolean_or_string {struct parser_token}
boolean_or_string(A) ::= TRUE(T). { A = T; }
boolean_or_string(A) ::= FALSE(T). { A = T; }
boolean_or_string(A) ::= ON(T). { A = T; }
boolean_or_string(A) ::= non_reserved_word(T). { A = T; }
boolean_or_string(A) ::= SCONST(T). { A = T; }

utility_stmt(A) ::= CREATE(K) ROLE role_id(N) opt_with role_options(L). { A = NODE(NEW(AST_CREATE_ROLE, create_role, HERE(K))); ((struct ast_create_role *)A)->name = N.text; ((struct ast_create_role *)A)->options = L; }
utility_stmt(A) ::= CREATE(K) GROUP role_id(N) opt_with role_options(L). { A = NODE(NEW(AST_CREATE_ROLE, create_role, HERE(K))); ((struct ast_create_role *)A)->name = N.text; ((struct ast_create_role *)A)->options = L; }
utility_stmt(A) ::= CREATE(K) USER role_id(N) opt_with role_options(L). {
    A = NODE(NEW(AST_CREATE_ROLE, create_role, HERE(K))); ((struct ast_create_role *)A)->name = N.text; ((struct ast_create_role *)A)->options = L;
    ((struct ast_create_role *)A)->user = true;
}
utility_stmt(A) ::= ALTER(K) role_word role_name(N) opt_with alter_role_options(L). { A = NODE(NEW(AST_ALTER_ROLE, alter_role, HERE(K))); ((struct ast_alter_role *)A)->name = N.text; ((struct ast_alter_role *)A)->options = L; }
utility_stmt(A) ::= ALTER(K) role_word role_name(N) in_database(D) set_or_reset(S). { A = NODE(NEW(AST_ALTER_ROLE, alter_role, HERE(K))); ((struct ast_alter_role *)A)->name = N.text; ((struct ast_alter_role *)A)->set = S; ((struct ast_alter_role *)A)->database = D.text; }
utility_stmt(A) ::= ALTER(K) role_word ALL in_database(D) set_or_reset(S). { A = NODE(NEW(AST_ALTER_ROLE, alter_role, HERE(K))); ((struct ast_alter_role *)A)->set = S; ((struct ast_alter_role *)A)->database = D.text; }
role_word ::= ROLE.
role_word ::= USER.
%type in_database {struct parser_token}
in_database(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
in_database(A) ::= IN DATABASE col_id(N). { A = N; }
opt_with ::= .
opt_with ::= WITH.
%type role_options {struct ast_list *}
role_options(A) ::= . { A = NULL; }
role_options(A) ::= role_options(L) role_option(O). { A = L == NULL ? parser__list(p, O) : parser__append(p, L, O); }
%type alter_role_options {struct ast_list *}
alter_role_options(A) ::= . { A = NULL; }
alter_role_options(A) ::= alter_role_options(L) alter_role_option(O). { A = L == NULL ? parser__list(p, O) : parser__append(p, L, O); }
role_option(A) ::= alter_role_option(O). { A = O; }
role_option(A) ::= USER(K) role_list(L). { A = parser__option(p, "role", NULL, HERE(K)); ((struct ast_option *)A)->list = L; }
role_option(A) ::= ROLE(K) role_list(L). { A = parser__option(p, "role", NULL, HERE(K)); ((struct ast_option *)A)->list = L; }
role_option(A) ::= ADMIN(K) role_list(L). { A = parser__option(p, "admin", NULL, HERE(K)); ((struct ast_option *)A)->list = L; }
role_option(A) ::= IN(K) ROLE role_list(L). { A = parser__option(p, "in_role", NULL, HERE(K)); ((struct ast_option *)A)->list = L; }
role_option(A) ::= IN(K) GROUP role_list(L). { A = parser__option(p, "in_role", NULL, HERE(K)); ((struct ast_option *)A)->list = L; }
alter_role_option(A) ::= PASSWORD(K) SCONST(T). { A = parser__option(p, "password", parser__string(p, AST_CONST_STRING, T), HERE(K)); }
alter_role_option(A) ::= PASSWORD(K) NULL. { A = parser__option(p, "password", parser__null(p, HERE(K)), HERE(K)); }
alter_role_option(A) ::= ENCRYPTED(K) PASSWORD SCONST(T). { A = parser__option(p, "password", parser__string(p, AST_CONST_STRING, T), HERE(K)); }
alter_role_option(A) ::= INHERIT(K). { A = parser__option(p, "inherit", parser__bool_const(p, true, HERE(K)), HERE(K)); }
alter_role_option(A) ::= CONNECTION(K) LIMIT signed_iconst(N). { struct parser_token one = {arena_printf(p->arena, "%d", N < 0 ? 0 : N), 1, HERE(K)}; one.size = (uint32_t)strlen(one.text); A = parser__option(p, "connection_limit", N < 0 ? NULL : parser__integer(p, one), HERE(K)); }
alter_role_option(A) ::= VALID(K) UNTIL SCONST(T). { A = parser__option(p, "valid_until", parser__string(p, AST_CONST_STRING, T), HERE(K)); }
alter_role_option(A) ::= IDENT(N). { A = parser__role_option(p, N); }

utility_stmt(A) ::= CREATE(K) TYPE any_name(N) AS ENUM LP opt_enum_values(L) RP. {
    struct ast_create_enum *create = NEW(AST_CREATE_ENUM, create_enum, HERE(K));
    create->schema = N->schema; create->name = N->name; create->values = L;
    A = NODE(create);
}
%type opt_enum_values {struct ast_list *}
opt_enum_values(A) ::= . { A = NULL; }
opt_enum_values(A) ::= enum_values(L). { A = L; }
%type enum_values {struct ast_list *}
enum_values(A) ::= SCONST(T). { A = parser__list(p, parser__string(p, AST_CONST_STRING, T)); }
enum_values(A) ::= enum_values(L) COMMA SCONST(T). { A = parser__append(p, L, parser__string(p, AST_CONST_STRING, T)); }
utility_stmt(A) ::= ALTER(K) TYPE qualified_name(T) ADD VALUE if_not_exists(X) SCONST(V) enum_neighbor(N). {
    struct ast_alter_enum *alter = NEW(AST_ALTER_ENUM, alter_enum, HERE(K));
    alter->type = (struct ast_table *)T; alter->value = V.text; alter->if_not_exists = X; alter->neighbor = N.name; alter->before = N.before;
    A = NODE(alter);
}
utility_stmt(A) ::= ALTER(K) TYPE qualified_name(T) RENAME VALUE SCONST(V) TO SCONST(N). {
    struct ast_alter_enum *alter = NEW(AST_ALTER_ENUM, alter_enum, HERE(K));
    alter->type = (struct ast_table *)T; alter->value = V.text; alter->rename_to = N.text;
    A = NODE(alter);
}
%type enum_neighbor {struct {const char *name; bool before;}}
enum_neighbor(A) ::= . { A.name = NULL; A.before = false; }
enum_neighbor(A) ::= BEFORE SCONST(T). { A.name = T.text; A.before = true; }
enum_neighbor(A) ::= AFTER SCONST(T). { A.name = T.text; A.before = false; }

utility_stmt(A) ::= CREATE(K) DOMAIN qualified_name(N) opt_as typename(T) column_quals(Q). {
    struct ast_create_domain *create = NEW(AST_CREATE_DOMAIN, create_domain, HERE(K));
    create->domain = (struct ast_table *)N; create->type = T; create->constraints = Q.list; create->collation = Q.collation;
    A = NODE(create);
}
utility_stmt(A) ::= ALTER(K) DOMAIN qualified_name(T) domain_action(L). { A = parser__alter(p, AST_OBJECT_DOMAIN, false, T, parser__list(p, L), HERE(K)); }
domain_action(A) ::= alter_object_action(X). { A = X; }
domain_action(A) ::= SET(K) DEFAULT mark(S) a_expr(E). {
    struct ast_alter_action *action = (struct ast_alter_action *)parser__action(p, AST_ALTER_SET_DEFAULT, NULL, HERE(K));
    action->expr = E;
    parser__range(p, S, (int32_t)p->prev_end, &action->expr_start, &action->expr_size);
    A = NODE(action);
}
domain_action(A) ::= DROP(K) DEFAULT. { A = parser__action(p, AST_ALTER_DROP_DEFAULT, NULL, HERE(K)); }
domain_action(A) ::= SET(K) NOT NULL. { A = parser__action(p, AST_ALTER_SET_NOT_NULL, NULL, HERE(K)); }
domain_action(A) ::= DROP(K) NOT NULL. { A = parser__action(p, AST_ALTER_DROP_NOT_NULL, NULL, HERE(K)); }
domain_action(A) ::= ADD(K) table_constraint(C). { A = parser__action(p, AST_ALTER_ADD_CONSTRAINT, NULL, HERE(K)); ((struct ast_alter_action *)A)->constraint = (struct ast_constraint *)C; }
domain_action(A) ::= DROP(K) CONSTRAINT if_exists(X) col_id(N) opt_cascade(C). { A = parser__action(p, AST_ALTER_DROP_CONSTRAINT, N.text, HERE(K)); ((struct ast_alter_action *)A)->cascade = C; ((struct ast_alter_action *)A)->if_exists = X; }
domain_action(A) ::= VALIDATE(K) CONSTRAINT col_id(N). { A = parser__action(p, AST_ALTER_VALIDATE_CONSTRAINT, N.text, HERE(K)); }

/* ---- DROP, ALTER, RENAME --------------------------------------------------------------------- */

utility_stmt(A) ::= DROP(K) object_type(O) if_exists(X) any_name_list(L) opt_cascade(C). { A = parser__drop(p, O, X, L, C, HERE(K)); }
utility_stmt(A) ::= DROP(K) INDEX CONCURRENTLY if_exists(X) any_name_list(L) opt_cascade(C). { A = parser__drop(p, AST_OBJECT_INDEX, X, L, C, HERE(K)); ((struct ast_drop *)A)->concurrently = true; }
utility_stmt(A) ::= DROP(K) DATABASE if_exists(X) col_id(N). { A = parser__drop(p, AST_OBJECT_DATABASE, X, parser__list(p, parser__table(p, parser__any_name(p, N))), false, HERE(K)); }
utility_stmt(A) ::= DROP(K) DATABASE if_exists(X) col_id(N) opt_with LP force_list RP. { A = parser__drop(p, AST_OBJECT_DATABASE, X, parser__list(p, parser__table(p, parser__any_name(p, N))), false, HERE(K)); ((struct ast_drop *)A)->force = true; }
utility_stmt(A) ::= DROP(K) OWNED BY role_list(L) opt_cascade(C). {
    struct ast_owned *owned = NEW(AST_OWNED, owned, HERE(K));
    owned->roles = L; owned->cascade = C;
    A = NODE(owned);
}
utility_stmt(A) ::= REASSIGN(K) OWNED BY role_list(L) TO role_name(R). {
    struct ast_owned *owned = NEW(AST_OWNED, owned, HERE(K));
    owned->roles = L; owned->to = R.text;
    A = NODE(owned);
}
utility_stmt(A) ::= DROP(K) drop_role_word if_exists(X) role_list(L). { A = parser__drop(p, AST_OBJECT_ROLE, X, parser__names_to_tables(p, L), false, HERE(K)); }
drop_role_word ::= ROLE.
drop_role_word ::= USER.
drop_role_word ::= GROUP.
force_list ::= FORCE.
force_list ::= force_list COMMA FORCE.
%type any_name_list {struct ast_list *}
any_name_list(A) ::= qualified_name(T). { A = parser__list(p, T); }
any_name_list(A) ::= any_name_list(L) COMMA qualified_name(T). { A = parser__append(p, L, T); }
%type object_type {enum ast_object}
object_type(A) ::= TABLE. { A = AST_OBJECT_TABLE; }
object_type(A) ::= INDEX. { A = AST_OBJECT_INDEX; }
object_type(A) ::= VIEW. { A = AST_OBJECT_VIEW; }
object_type(A) ::= MATERIALIZED VIEW. { A = AST_OBJECT_MATERIALIZED_VIEW; }
object_type(A) ::= SEQUENCE. { A = AST_OBJECT_SEQUENCE; }
object_type(A) ::= SCHEMA. { A = AST_OBJECT_SCHEMA; }
object_type(A) ::= TYPE. { A = AST_OBJECT_TYPE; }
object_type(A) ::= DOMAIN. { A = AST_OBJECT_DOMAIN; }
object_type(A) ::= EXTENSION. { A = AST_OBJECT_EXTENSION; }

utility_stmt(A) ::= ALTER(K) TABLE if_exists(X) relation_expr(T) alter_actions(L). { A = parser__alter(p, AST_OBJECT_TABLE, X, T, L, HERE(K)); }
utility_stmt(A) ::= ALTER(K) INDEX if_exists(X) qualified_name(T) alter_actions(L). { A = parser__alter(p, AST_OBJECT_INDEX, X, T, L, HERE(K)); }
utility_stmt(A) ::= ALTER(K) VIEW if_exists(X) qualified_name(T) alter_actions(L). { A = parser__alter(p, AST_OBJECT_VIEW, X, T, L, HERE(K)); }
utility_stmt(A) ::= ALTER(K) MATERIALIZED VIEW if_exists(X) qualified_name(T) alter_actions(L). { A = parser__alter(p, AST_OBJECT_MATERIALIZED_VIEW, X, T, L, HERE(K)); }
utility_stmt(A) ::= ALTER(K) SEQUENCE if_exists(X) qualified_name(T) alter_object_action(L). { A = parser__alter(p, AST_OBJECT_SEQUENCE, X, T, parser__list(p, L), HERE(K)); }
utility_stmt(A) ::= ALTER(K) SCHEMA col_id(N) OWNER(O) TO role_name(R). { A = parser__alter(p, AST_OBJECT_SCHEMA, false, parser__table(p, parser__any_name(p, N)), parser__list(p, parser__action(p, AST_ALTER_OWNER, R.text, HERE(O))), HERE(K)); }
utility_stmt(A) ::= ALTER(K) TYPE qualified_name(T) alter_object_action(L). { A = parser__alter(p, AST_OBJECT_TYPE, false, T, parser__list(p, L), HERE(K)); }
utility_stmt(A) ::= ALTER(K) DATABASE col_id(N) OWNER(O) TO role_name(R). { A = parser__alter(p, AST_OBJECT_DATABASE, false, parser__table(p, parser__any_name(p, N)), parser__list(p, parser__action(p, AST_ALTER_OWNER, R.text, HERE(O))), HERE(K)); }
utility_stmt(A) ::= ALTER(K) DATABASE col_id(N) set_or_reset(S). { A = NODE(NEW(AST_ALTER_DATABASE, alter_database, HERE(K))); ((struct ast_alter_database *)A)->name = N.text; ((struct ast_alter_database *)A)->set = S; }
utility_stmt(A) ::= ALTER(K) DATABASE col_id(N) database_options(L). { A = NODE(NEW(AST_ALTER_DATABASE, alter_database, HERE(K))); ((struct ast_alter_database *)A)->name = N.text; ((struct ast_alter_database *)A)->options = L; }
utility_stmt(A) ::= ALTER(K) SYSTEM set_stmt_body(S). { A = NODE(NEW(AST_ALTER_SYSTEM, alter_system, HERE(K))); ((struct ast_alter_system *)A)->set = S; }
%type set_stmt_body {struct ast_set *}
set_stmt_body(A) ::= SET generic_set(S). { A = S; }
set_stmt_body(A) ::= RESET generic_reset(S). { A = S; }

%type alter_actions {struct ast_list *}
alter_actions(A) ::= alter_action(X). { A = parser__list(p, X); }
alter_actions(A) ::= alter_actions(L) COMMA alter_action(X). { A = parser__append(p, L, X); }
alter_action(A) ::= alter_object_action(X). { A = X; }
alter_action(A) ::= ADD(K) column_def(C). { A = parser__action(p, AST_ALTER_ADD_COLUMN, NULL, HERE(K)); ((struct ast_alter_action *)A)->column = (struct ast_column_def *)C; }
alter_action(A) ::= ADD(K) IF NOT EXISTS column_def(C). { A = parser__action(p, AST_ALTER_ADD_COLUMN, NULL, HERE(K)); ((struct ast_alter_action *)A)->column = (struct ast_column_def *)C; ((struct ast_alter_action *)A)->if_exists = true; }
alter_action(A) ::= ADD(K) COLUMN column_def(C). { A = parser__action(p, AST_ALTER_ADD_COLUMN, NULL, HERE(K)); ((struct ast_alter_action *)A)->column = (struct ast_column_def *)C; }
alter_action(A) ::= ADD(K) COLUMN IF NOT EXISTS column_def(C). { A = parser__action(p, AST_ALTER_ADD_COLUMN, NULL, HERE(K)); ((struct ast_alter_action *)A)->column = (struct ast_column_def *)C; ((struct ast_alter_action *)A)->if_exists = true; }
alter_action(A) ::= ADD(K) table_constraint(C). { A = parser__action(p, AST_ALTER_ADD_CONSTRAINT, NULL, HERE(K)); ((struct ast_alter_action *)A)->constraint = (struct ast_constraint *)C; }
alter_action(A) ::= DROP(K) opt_column col_id(N) opt_cascade(C). { A = parser__action(p, AST_ALTER_DROP_COLUMN, N.text, HERE(K)); ((struct ast_alter_action *)A)->cascade = C; }
alter_action(A) ::= DROP(K) opt_column IF EXISTS col_id(N) opt_cascade(C). { A = parser__action(p, AST_ALTER_DROP_COLUMN, N.text, HERE(K)); ((struct ast_alter_action *)A)->cascade = C; ((struct ast_alter_action *)A)->if_exists = true; }
alter_action(A) ::= DROP(K) CONSTRAINT col_id(N) opt_cascade(C). { A = parser__action(p, AST_ALTER_DROP_CONSTRAINT, N.text, HERE(K)); ((struct ast_alter_action *)A)->cascade = C; }
alter_action(A) ::= DROP(K) CONSTRAINT IF EXISTS col_id(N) opt_cascade(C). { A = parser__action(p, AST_ALTER_DROP_CONSTRAINT, N.text, HERE(K)); ((struct ast_alter_action *)A)->cascade = C; ((struct ast_alter_action *)A)->if_exists = true; }
alter_action(A) ::= VALIDATE(K) CONSTRAINT col_id(N). { A = parser__action(p, AST_ALTER_VALIDATE_CONSTRAINT, N.text, HERE(K)); }
alter_action(A) ::= ALTER(K) CONSTRAINT col_id(N) constraint_attributes(W). {
    A = parser__action(p, AST_ALTER_CONSTRAINT, N.text, HERE(K));
    struct ast_constraint *constraint = NEW(AST_CONSTRAINT, constraint, HERE(N));
    constraint->kind = AST_CONSTRAINT_FOREIGN; constraint->name = N.text;
    parser__constraint_attributes(p, constraint, W, -1);
    ((struct ast_alter_action *)A)->constraint = constraint;
}
alter_action(A) ::= ALTER(K) opt_column col_id(N) opt_set_data TYPE typename(T) opt_collate(C) alter_using(U). {
    struct ast_alter_action *action = (struct ast_alter_action *)parser__action(p, AST_ALTER_COLUMN_TYPE, N.text, HERE(K));
    action->column = NEW(AST_COLUMN_DEF, column_def, HERE(N));
    action->column->name = N.text; action->column->type = T; action->column->collation = C == NULL ? NULL : C->name;
    action->expr = U.expr; action->expr_start = U.start; action->expr_size = U.size;
    A = NODE(action);
}
alter_action(A) ::= ALTER(K) opt_column col_id(N) SET DEFAULT mark(S) a_expr(E). {
    struct ast_alter_action *action = (struct ast_alter_action *)parser__action(p, AST_ALTER_SET_DEFAULT, N.text, HERE(K));
    action->expr = E;
    parser__range(p, S, (int32_t)p->prev_end, &action->expr_start, &action->expr_size);
    A = NODE(action);
}
alter_action(A) ::= ALTER(K) opt_column col_id(N) DROP DEFAULT. { A = parser__action(p, AST_ALTER_DROP_DEFAULT, N.text, HERE(K)); }
alter_action(A) ::= ALTER(K) opt_column col_id(N) SET NOT NULL. { A = parser__action(p, AST_ALTER_SET_NOT_NULL, N.text, HERE(K)); }
alter_action(A) ::= ALTER(K) opt_column col_id(N) DROP NOT NULL. { A = parser__action(p, AST_ALTER_DROP_NOT_NULL, N.text, HERE(K)); }
alter_action(A) ::= ALTER(K) opt_column col_id SET STATISTICS signed_iconst. { A = parser__action(p, AST_ALTER_OTHER, "ALTER COLUMN SET STATISTICS", HERE(K)); }
alter_action(A) ::= ALTER(K) opt_column col_id SET STORAGE col_id. { A = parser__action(p, AST_ALTER_OTHER, "ALTER COLUMN SET STORAGE", HERE(K)); }
alter_action(A) ::= ALTER(K) opt_column col_id SET COMPRESSION col_id. { A = parser__action(p, AST_ALTER_OTHER, "ALTER COLUMN SET COMPRESSION", HERE(K)); }
alter_action(A) ::= ALTER(K) opt_column col_id SET rel_options. { A = parser__action(p, AST_ALTER_OTHER, "ALTER COLUMN SET", HERE(K)); }
alter_action(A) ::= ALTER(K) opt_column col_id(N) ADD GENERATED generated_when(W) AS IDENTITY opt_sequence_options(L). {
    struct ast_alter_action *action = (struct ast_alter_action *)parser__action(p, AST_ALTER_ADD_IDENTITY, N.text, HERE(K));
    action->constraint = NEW(AST_CONSTRAINT, constraint, HERE(K));
    action->constraint->kind = AST_CONSTRAINT_IDENTITY; action->constraint->always = W; action->constraint->options = L;
    A = NODE(action);
}
alter_action(A) ::= ALTER(K) opt_column col_id(N) DROP IDENTITY if_exists(X). { A = parser__action(p, AST_ALTER_DROP_IDENTITY, N.text, HERE(K)); ((struct ast_alter_action *)A)->if_exists = X; }
alter_action(A) ::= ALTER(K) opt_column col_id DROP EXPRESSION if_exists. { A = parser__action(p, AST_ALTER_OTHER, "ALTER COLUMN DROP EXPRESSION", HERE(K)); }
alter_action(A) ::= SET(K) rel_options(L). { A = parser__action(p, AST_ALTER_SET_OPTIONS, NULL, HERE(K)); ((struct ast_alter_action *)A)->options = L; }
alter_action(A) ::= RESET(K) rel_options(L). { A = parser__action(p, AST_ALTER_RESET_OPTIONS, NULL, HERE(K)); ((struct ast_alter_action *)A)->options = L; }
alter_action(A) ::= SET(K) TABLESPACE col_id(N). { A = parser__action(p, AST_ALTER_SET_TABLESPACE, N.text, HERE(K)); }
alter_action(A) ::= SET(K) LOGGED. { A = parser__action(p, AST_ALTER_SET_LOGGED, NULL, HERE(K)); }
alter_action(A) ::= SET(K) UNLOGGED. { A = parser__action(p, AST_ALTER_SET_UNLOGGED, NULL, HERE(K)); }
alter_action(A) ::= SET(K) WITHOUT CLUSTER. { A = parser__action(p, AST_ALTER_OTHER, "SET WITHOUT CLUSTER", HERE(K)); }
alter_action(A) ::= SET(K) WITHOUT OIDS. { A = parser__action(p, AST_ALTER_OTHER, "SET WITHOUT OIDS", HERE(K)); }
alter_action(A) ::= SET(K) ACCESS METHOD col_id. { A = parser__action(p, AST_ALTER_OTHER, "SET ACCESS METHOD", HERE(K)); }
alter_action(A) ::= CLUSTER(K) ON col_id. { A = parser__action(p, AST_ALTER_OTHER, "CLUSTER ON", HERE(K)); }
alter_action(A) ::= INHERIT(K) qualified_name. { A = parser__action(p, AST_ALTER_OTHER, "INHERIT", HERE(K)); }
alter_action(A) ::= NO(K) INHERIT qualified_name. { A = parser__action(p, AST_ALTER_OTHER, "NO INHERIT", HERE(K)); }
alter_action(A) ::= ENABLE(K) TRIGGER trigger_name. { A = parser__action(p, AST_ALTER_OTHER, "ENABLE TRIGGER", HERE(K)); }
alter_action(A) ::= DISABLE(K) TRIGGER trigger_name. { A = parser__action(p, AST_ALTER_OTHER, "DISABLE TRIGGER", HERE(K)); }
alter_action(A) ::= ENABLE(K) ROW LEVEL SECURITY. { A = parser__action(p, AST_ALTER_OTHER, "ENABLE ROW LEVEL SECURITY", HERE(K)); }
alter_action(A) ::= DISABLE(K) ROW LEVEL SECURITY. { A = parser__action(p, AST_ALTER_OTHER, "DISABLE ROW LEVEL SECURITY", HERE(K)); }
alter_action(A) ::= FORCE(K) ROW LEVEL SECURITY. { A = parser__action(p, AST_ALTER_OTHER, "FORCE ROW LEVEL SECURITY", HERE(K)); }
alter_action(A) ::= MOVE(K) IDENT(B) ICONST(N) TO col_id(D). { parser__expect_word(p, B, "bucket"); A = parser__action(p, AST_ALTER_MOVE_BUCKETS, D.text, HERE(K)); ((struct ast_alter_action *)A)->options = parser__list(p, parser__integer(p, N)); }
alter_action(A) ::= MOVE(K) IDENT(B) LP bucket_numbers(L) RP TO col_id(D). { parser__expect_word(p, B, "buckets"); A = parser__action(p, AST_ALTER_MOVE_BUCKETS, D.text, HERE(K)); ((struct ast_alter_action *)A)->options = L; }
alter_action(A) ::= SPLIT(K) AT LP a_expr(E) RP. { A = parser__action(p, AST_ALTER_SPLIT_BUCKET, NULL, HERE(K)); ((struct ast_alter_action *)A)->expr = E; }
alter_action(A) ::= REPLICA(K) IDENTITY FULL. { A = parser__action(p, AST_ALTER_REPLICA_IDENTITY, "full", HERE(K)); }
alter_action(A) ::= REPLICA(K) IDENTITY NOTHING. { A = parser__action(p, AST_ALTER_REPLICA_IDENTITY, "nothing", HERE(K)); }
alter_action(A) ::= REPLICA(K) IDENTITY DEFAULT. { A = parser__action(p, AST_ALTER_REPLICA_IDENTITY, "default", HERE(K)); }
alter_action(A) ::= REPLICA(K) IDENTITY USING INDEX col_id. { A = parser__action(p, AST_ALTER_REPLICA_IDENTITY, "index", HERE(K)); }
trigger_name ::= col_id.
trigger_name ::= ALL.
trigger_name ::= USER.
opt_column ::= .
opt_column ::= COLUMN.
opt_set_data ::= .
opt_set_data ::= SET DATA.
%type bucket_numbers {struct ast_list *}
bucket_numbers(A) ::= ICONST(N). { A = parser__list(p, parser__integer(p, N)); }
bucket_numbers(A) ::= bucket_numbers(L) COMMA ICONST(N). { A = parser__append(p, L, parser__integer(p, N)); }
utility_stmt(A) ::= ALTER(K) CLUSTER ADD IDENT(W) col_id(N) SCONST(S). {
    parser__expect_word(p, W, "node");
    struct ast_alter_cluster *alter = NEW(AST_ALTER_CLUSTER, alter_cluster, HERE(K));
    alter->kind = AST_CLUSTER_ADD; alter->name = N.text; alter->address = S.text;
    A = NODE(alter);
}
utility_stmt(A) ::= ALTER(K) CLUSTER DROP IDENT(W) col_id(N). {
    parser__expect_word(p, W, "node");
    struct ast_alter_cluster *alter = NEW(AST_ALTER_CLUSTER, alter_cluster, HERE(K));
    alter->kind = AST_CLUSTER_DROP; alter->name = N.text;
    A = NODE(alter);
}
utility_stmt(A) ::= ALTER(K) CLUSTER IDENT(D) IDENT(W) col_id(N). {
    parser__expect_word(p, D, "drain");
    parser__expect_word(p, W, "node");
    struct ast_alter_cluster *alter = NEW(AST_ALTER_CLUSTER, alter_cluster, HERE(K));
    alter->kind = AST_CLUSTER_DRAIN; alter->name = N.text;
    A = NODE(alter);
}
utility_stmt(A) ::= ALTER(K) CLUSTER IDENT(D). {
    parser__expect_word(p, D, "rebalance");
    struct ast_alter_cluster *alter = NEW(AST_ALTER_CLUSTER, alter_cluster, HERE(K));
    alter->kind = AST_CLUSTER_REBALANCE;
    A = NODE(alter);
}
%type alter_using {struct {struct ast_node *expr; int32_t start; int32_t size;}}
alter_using(A) ::= . { A.expr = NULL; A.start = 0; A.size = 0; }
alter_using(A) ::= USING mark(S) a_expr(E). { A.expr = E; parser__range(p, S, (int32_t)p->prev_end, &A.start, &A.size); }
/* Actions that more than tables have. */
alter_object_action(A) ::= OWNER(K) TO role_name(R). { A = parser__action(p, AST_ALTER_OWNER, R.text, HERE(K)); }
alter_object_action(A) ::= SET(K) SCHEMA col_id(N). { A = parser__action(p, AST_ALTER_SET_SCHEMA, N.text, HERE(K)); }

utility_stmt(A) ::= ALTER(K) TABLE if_exists(X) relation_expr(T) RENAME TO col_id(N). { A = parser__rename(p, AST_OBJECT_TABLE, X, T, NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) INDEX if_exists(X) qualified_name(T) RENAME TO col_id(N). { A = parser__rename(p, AST_OBJECT_INDEX, X, T, NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) VIEW if_exists(X) qualified_name(T) RENAME TO col_id(N). { A = parser__rename(p, AST_OBJECT_VIEW, X, T, NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) MATERIALIZED VIEW if_exists(X) qualified_name(T) RENAME TO col_id(N). { A = parser__rename(p, AST_OBJECT_MATERIALIZED_VIEW, X, T, NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) MATERIALIZED VIEW if_exists(X) qualified_name(T) RENAME opt_column col_id(O) TO col_id(N). { A = parser__rename(p, AST_OBJECT_COLUMN, X, T, O.text, N.text, HERE(K)); ((struct ast_rename *)A)->materialized = true; }
utility_stmt(A) ::= ALTER(K) SEQUENCE if_exists(X) qualified_name(T) RENAME TO col_id(N). { A = parser__rename(p, AST_OBJECT_SEQUENCE, X, T, NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) TYPE qualified_name(T) RENAME TO col_id(N). { A = parser__rename(p, AST_OBJECT_TYPE, false, T, NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) DOMAIN qualified_name(T) RENAME TO col_id(N). { A = parser__rename(p, AST_OBJECT_DOMAIN, false, T, NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) DOMAIN qualified_name(T) RENAME CONSTRAINT col_id(O) TO col_id(N). { A = parser__rename(p, AST_OBJECT_DOMAIN, false, T, O.text, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) SCHEMA col_id(O) RENAME TO col_id(N). { A = parser__rename(p, AST_OBJECT_SCHEMA, false, parser__table(p, parser__any_name(p, O)), NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) DATABASE col_id(O) RENAME TO col_id(N). { A = parser__rename(p, AST_OBJECT_DATABASE, false, parser__table(p, parser__any_name(p, O)), NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) role_word role_name(O) RENAME TO role_id(N). { A = parser__rename(p, AST_OBJECT_ROLE, false, parser__table(p, parser__any_name(p, O)), NULL, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) TABLE if_exists(X) relation_expr(T) RENAME opt_column col_id(O) TO col_id(N). { A = parser__rename(p, AST_OBJECT_COLUMN, X, T, O.text, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) TABLE if_exists(X) relation_expr(T) RENAME CONSTRAINT col_id(O) TO col_id(N). { A = parser__rename(p, AST_OBJECT_CONSTRAINT, X, T, O.text, N.text, HERE(K)); }
utility_stmt(A) ::= ALTER(K) VIEW if_exists(X) qualified_name(T) RENAME opt_column col_id(O) TO col_id(N). { A = parser__rename(p, AST_OBJECT_COLUMN, X, T, O.text, N.text, HERE(K)); }

utility_stmt(A) ::= TRUNCATE(K) opt_table relation_expr_list(L) restart_identity(R) opt_cascade(C). {
    struct ast_truncate *truncate = NEW(AST_TRUNCATE, truncate, HERE(K));
    truncate->tables = L; truncate->restart_identity = R; truncate->cascade = C;
    A = NODE(truncate);
}
%type restart_identity {bool}
restart_identity(A) ::= . { A = false; }
restart_identity(A) ::= CONTINUE IDENTITY. { A = false; }
restart_identity(A) ::= RESTART IDENTITY. { A = true; }

utility_stmt(A) ::= COMMENT(K) ON object_type(O) qualified_name(T) IS comment_text(X). { A = parser__comment(p, O, T, NULL, X.text, HERE(K)); }
utility_stmt(A) ::= COMMENT(K) ON COLUMN any_name(N) IS comment_text(X). { A = parser__comment(p, AST_OBJECT_COLUMN, NULL, N, X.text, HERE(K)); }
utility_stmt(A) ::= COMMENT(K) ON DATABASE col_id(N) IS comment_text(X). { A = parser__comment(p, AST_OBJECT_DATABASE, parser__table(p, parser__any_name(p, N)), NULL, X.text, HERE(K)); }
utility_stmt(A) ::= COMMENT(K) ON ROLE col_id(N) IS comment_text(X). { A = parser__comment(p, AST_OBJECT_ROLE, parser__table(p, parser__any_name(p, N)), NULL, X.text, HERE(K)); }
utility_stmt(A) ::= COMMENT(K) ON CONSTRAINT col_id(N) ON qualified_name(T) IS comment_text(X). { A = parser__comment(p, AST_OBJECT_CONSTRAINT, T, NULL, X.text, HERE(K)); ((struct ast_comment *)A)->part = N.text; }
%type comment_text {struct parser_token}
comment_text(A) ::= SCONST(T). { A = T; }
comment_text(A) ::= NULL(T). { A = T; A.text = NULL; }

/* ---- transactions and settings --------------------------------------------------------------- */

utility_stmt(A) ::= ABORT(K) opt_work and_chain(C). { A = parser__transaction(p, AST_ROLLBACK, HERE(K)); ((struct ast_transaction *)A)->chain = C; }
utility_stmt(A) ::= ROLLBACK(K) opt_work and_chain(C). { A = parser__transaction(p, AST_ROLLBACK, HERE(K)); ((struct ast_transaction *)A)->chain = C; }
utility_stmt(A) ::= COMMIT(K) opt_work and_chain(C). { A = parser__transaction(p, AST_COMMIT, HERE(K)); ((struct ast_transaction *)A)->chain = C; }
utility_stmt(A) ::= END(K) opt_work and_chain(C). { A = parser__transaction(p, AST_COMMIT, HERE(K)); ((struct ast_transaction *)A)->chain = C; }
utility_stmt(A) ::= BEGIN(K) opt_work opt_transaction_modes(M). { A = parser__transaction(p, AST_BEGIN, HERE(K)); ((struct ast_transaction *)A)->modes = M; }
utility_stmt(A) ::= START(K) TRANSACTION opt_transaction_modes(M). { A = parser__transaction(p, AST_BEGIN, HERE(K)); ((struct ast_transaction *)A)->modes = M; ((struct ast_transaction *)A)->start = true; }
utility_stmt(A) ::= SAVEPOINT(K) col_id(N). { A = parser__transaction(p, AST_SAVEPOINT, HERE(K)); ((struct ast_transaction *)A)->name = N.text; }
utility_stmt(A) ::= RELEASE(K) SAVEPOINT col_id(N). { A = parser__transaction(p, AST_RELEASE, HERE(K)); ((struct ast_transaction *)A)->name = N.text; }
utility_stmt(A) ::= RELEASE(K) col_id(N). { A = parser__transaction(p, AST_RELEASE, HERE(K)); ((struct ast_transaction *)A)->name = N.text; }
utility_stmt(A) ::= ROLLBACK(K) opt_work TO SAVEPOINT col_id(N). { A = parser__transaction(p, AST_ROLLBACK_TO, HERE(K)); ((struct ast_transaction *)A)->name = N.text; }
utility_stmt(A) ::= ROLLBACK(K) opt_work TO col_id(N). { A = parser__transaction(p, AST_ROLLBACK_TO, HERE(K)); ((struct ast_transaction *)A)->name = N.text; }
utility_stmt(A) ::= PREPARE(K) TRANSACTION SCONST(N). { A = parser__transaction(p, AST_PREPARE_TRANSACTION, HERE(K)); ((struct ast_transaction *)A)->name = N.text; }
utility_stmt(A) ::= COMMIT(K) PREPARED SCONST(N). { A = parser__transaction(p, AST_COMMIT_PREPARED, HERE(K)); ((struct ast_transaction *)A)->name = N.text; }
utility_stmt(A) ::= ROLLBACK(K) PREPARED SCONST(N). { A = parser__transaction(p, AST_ROLLBACK_PREPARED, HERE(K)); ((struct ast_transaction *)A)->name = N.text; }
opt_work ::= .
opt_work ::= WORK.
opt_work ::= TRANSACTION.
%type and_chain {bool}
and_chain(A) ::= . { A = false; }
and_chain(A) ::= AND CHAIN. { A = true; }
and_chain(A) ::= AND NO CHAIN. { A = false; }

%type opt_transaction_modes {struct ast_transaction_modes}
opt_transaction_modes(A) ::= . { A = (struct ast_transaction_modes){AST_ISOLATION_NONE, -1, -1}; }
opt_transaction_modes(A) ::= transaction_modes(M). { A = M; }
%type transaction_modes {struct ast_transaction_modes}
transaction_modes(A) ::= transaction_mode(M). { A = M; }
transaction_modes(A) ::= transaction_modes(L) COMMA transaction_mode(M). { A = parser__modes(L, M); }
transaction_modes(A) ::= transaction_modes(L) transaction_mode(M). { A = parser__modes(L, M); }
%type transaction_mode {struct ast_transaction_modes}
transaction_mode(A) ::= ISOLATION LEVEL iso_level(I). { A = (struct ast_transaction_modes){I, -1, -1}; }
transaction_mode(A) ::= READ ONLY. { A = (struct ast_transaction_modes){AST_ISOLATION_NONE, 1, -1}; }
transaction_mode(A) ::= READ WRITE. { A = (struct ast_transaction_modes){AST_ISOLATION_NONE, 0, -1}; }
transaction_mode(A) ::= DEFERRABLE. { A = (struct ast_transaction_modes){AST_ISOLATION_NONE, -1, 1}; }
transaction_mode(A) ::= NOT DEFERRABLE. { A = (struct ast_transaction_modes){AST_ISOLATION_NONE, -1, 0}; }
%type iso_level {enum ast_isolation}
iso_level(A) ::= READ UNCOMMITTED. { A = AST_ISOLATION_READ_UNCOMMITTED; }
iso_level(A) ::= READ COMMITTED. { A = AST_ISOLATION_READ_COMMITTED; }
iso_level(A) ::= REPEATABLE READ. { A = AST_ISOLATION_REPEATABLE_READ; }
iso_level(A) ::= SERIALIZABLE. { A = AST_ISOLATION_SERIALIZABLE; }

utility_stmt(A) ::= SET(K) set_rest(S). { A = S; A->location = HERE(K); }
utility_stmt(A) ::= SET(K) LOCAL set_rest(S). { A = S; A->location = HERE(K); if (A->kind == AST_SET) ((struct ast_set *)A)->local = true; else ((struct ast_set_transaction *)A)->local = true; }
utility_stmt(A) ::= SET(K) SESSION set_rest(S). { A = S; A->location = HERE(K); }
set_rest(A) ::= TRANSACTION transaction_modes(M). { A = NODE(NEW(AST_SET_TRANSACTION, set_transaction, -1)); ((struct ast_set_transaction *)A)->modes = M; }
set_rest(A) ::= TRANSACTION SNAPSHOT SCONST(T). {
    A = NODE(NEW(AST_SET_TRANSACTION, set_transaction, -1));
    ((struct ast_set_transaction *)A)->modes = (struct ast_transaction_modes){AST_ISOLATION_NONE, -1, -1};
    ((struct ast_set_transaction *)A)->snapshot = T.text;
}
set_rest(A) ::= SESSION CHARACTERISTICS AS TRANSACTION transaction_modes(M). { A = NODE(NEW(AST_SET_TRANSACTION, set_transaction, -1)); ((struct ast_set_transaction *)A)->modes = M; ((struct ast_set_transaction *)A)->session = true; }
set_rest(A) ::= set_rest_more(S). { A = NODE(S); }
%type set_rest_more {struct ast_set *}
set_rest_more(A) ::= generic_set(S). { A = S; }
set_rest_more(A) ::= var_name(N) FROM CURRENT. { A = parser__set(p, AST_SET_FROM_CURRENT, N.text, NULL); }
set_rest_more(A) ::= TIME ZONE zone_value(V). { A = parser__set(p, V == NULL ? AST_SET_DEFAULT : AST_SET_VALUE, "timezone", V == NULL ? NULL : parser__list(p, V)); }
set_rest_more(A) ::= CATALOG SCONST(T). { A = parser__set(p, AST_SET_VALUE, "catalog", parser__list(p, parser__string(p, AST_CONST_STRING, T))); }
set_rest_more(A) ::= SCHEMA SCONST(T). { A = parser__set(p, AST_SET_VALUE, "search_path", parser__list(p, parser__string(p, AST_CONST_STRING, T))); }
set_rest_more(A) ::= NAMES. { A = parser__set(p, AST_SET_DEFAULT, "client_encoding", NULL); }
set_rest_more(A) ::= NAMES SCONST(T). { A = parser__set(p, AST_SET_VALUE, "client_encoding", parser__list(p, parser__string(p, AST_CONST_STRING, T))); }
set_rest_more(A) ::= NAMES DEFAULT. { A = parser__set(p, AST_SET_DEFAULT, "client_encoding", NULL); }
set_rest_more(A) ::= ROLE word_or_string(T). { A = parser__set(p, AST_SET_VALUE, "role", parser__list(p, parser__word(p, T.text, HERE(T)))); }
set_rest_more(A) ::= SESSION AUTHORIZATION word_or_string(T). { A = parser__set(p, AST_SET_VALUE, "session_authorization", parser__list(p, parser__word(p, T.text, HERE(T)))); }
set_rest_more(A) ::= SESSION AUTHORIZATION DEFAULT. { A = parser__set(p, AST_SET_DEFAULT, "session_authorization", NULL); }
%type generic_set {struct ast_set *}
generic_set(A) ::= var_name(N) to_or_equal var_list(L). { A = parser__set(p, AST_SET_VALUE, N.text, L); }
generic_set(A) ::= var_name(N) to_or_equal DEFAULT. { A = parser__set(p, AST_SET_DEFAULT, N.text, NULL); }
to_or_equal ::= TO.
to_or_equal ::= EQ.
%type word_or_string {struct parser_token}
word_or_string(A) ::= non_reserved_word(T). { A = T; }
word_or_string(A) ::= SCONST(T). { A = T; }
%type var_name {struct parser_token}
var_name(A) ::= col_id(N). { A = N; }
var_name(A) ::= var_name(L) DOT col_id(N). { A = L; A.text = arena_printf(p->arena, "%s.%s", L.text, N.text); }
%type var_list {struct ast_list *}
var_list(A) ::= var_value(V). { A = parser__list(p, V); }
var_list(A) ::= var_list(L) COMMA var_value(V). { A = parser__append(p, L, V); }
var_value(A) ::= boolean_or_string(T). { A = parser__word(p, T.text, HERE(T)); }
var_value(A) ::= numeric_only(N). { A = N; }
zone_value(A) ::= SCONST(T). { A = parser__string(p, AST_CONST_STRING, T); }
zone_value(A) ::= IDENT(T). { A = parser__word(p, T.text, HERE(T)); }
zone_value(A) ::= INTERVAL(K) SCONST(T) interval_fields(F). {
    struct ast_type *type = parser__type(p, "pg_catalog", "interval", HERE(K));
    parser__interval(p, type, F);
    A = parser__cast(p, AST_CAST_LITERAL, parser__string(p, AST_CONST_STRING, T), type, HERE(K));
}
zone_value(A) ::= numeric_only(N). { A = N; }
zone_value(A) ::= DEFAULT. { A = NULL; }
zone_value(A) ::= LOCAL. { A = NULL; }

utility_stmt(A) ::= RESET(K) reset_rest(S). { A = NODE(S); A->location = HERE(K); }
%type reset_rest {struct ast_set *}
reset_rest(A) ::= generic_reset(S). { A = S; }
reset_rest(A) ::= TIME ZONE. { A = parser__set(p, AST_SET_RESET, "timezone", NULL); }
reset_rest(A) ::= TRANSACTION ISOLATION LEVEL. { A = parser__set(p, AST_SET_RESET, "transaction_isolation", NULL); }
reset_rest(A) ::= SESSION AUTHORIZATION. { A = parser__set(p, AST_SET_RESET, "session_authorization", NULL); }
%type generic_reset {struct ast_set *}
generic_reset(A) ::= var_name(N). { A = parser__set(p, AST_SET_RESET, N.text, NULL); }
generic_reset(A) ::= ALL. { A = parser__set(p, AST_SET_RESET_ALL, NULL, NULL); }
%type set_or_reset {struct ast_set *}
set_or_reset(A) ::= SET set_rest_more(S). { A = S; }
set_or_reset(A) ::= RESET reset_rest(S). { A = S; }

utility_stmt(A) ::= SHOW(K) var_name(N). { A = NODE(NEW(AST_SHOW, show, HERE(K))); ((struct ast_show *)A)->name = N.text; }
utility_stmt(A) ::= SHOW(K) TIME ZONE. { A = NODE(NEW(AST_SHOW, show, HERE(K))); ((struct ast_show *)A)->name = "timezone"; }
utility_stmt(A) ::= SHOW(K) TRANSACTION ISOLATION LEVEL. { A = NODE(NEW(AST_SHOW, show, HERE(K))); ((struct ast_show *)A)->name = "transaction_isolation"; }
utility_stmt(A) ::= SHOW(K) SESSION AUTHORIZATION. { A = NODE(NEW(AST_SHOW, show, HERE(K))); ((struct ast_show *)A)->name = "session_authorization"; }
utility_stmt(A) ::= SHOW(K) ALL. { A = NODE(NEW(AST_SHOW, show, HERE(K))); ((struct ast_show *)A)->name = "all"; }

utility_stmt(A) ::= SET(K) CONSTRAINTS constraint_names(L) constraint_mode(M). {
    struct ast_set_constraints *set = NEW(AST_SET_CONSTRAINTS, set_constraints, HERE(K));
    set->names = L; set->deferred = M;
    A = NODE(set);
}
%type constraint_names {struct ast_list *}
constraint_names(A) ::= ALL. { A = NULL; }
constraint_names(A) ::= qualified_name_list(L). { A = L; }
%type constraint_mode {bool}
constraint_mode(A) ::= DEFERRED. { A = true; }
constraint_mode(A) ::= IMMEDIATE. { A = false; }

utility_stmt(A) ::= DISCARD(K) ALL. { A = NODE(NEW(AST_DISCARD, discard_statement, HERE(K))); ((struct ast_discard_statement *)A)->what = AST_DISCARD_ALL; }
utility_stmt(A) ::= DISCARD(K) PLANS. { A = NODE(NEW(AST_DISCARD, discard_statement, HERE(K))); ((struct ast_discard_statement *)A)->what = AST_DISCARD_PLANS; }
utility_stmt(A) ::= DISCARD(K) SEQUENCES. { A = NODE(NEW(AST_DISCARD, discard_statement, HERE(K))); ((struct ast_discard_statement *)A)->what = AST_DISCARD_SEQUENCES; }
utility_stmt(A) ::= DISCARD(K) temp_word. { A = NODE(NEW(AST_DISCARD, discard_statement, HERE(K))); ((struct ast_discard_statement *)A)->what = AST_DISCARD_TEMP; }
temp_word ::= TEMP.
temp_word ::= TEMPORARY.

/* ---- COPY ------------------------------------------------------------------------------------ */

utility_stmt(A) ::= COPY(K) opt_binary(B) qualified_name(T) opt_name_list(L) copy_from(F) copy_program(P) copy_file(N) copy_delimiter(D) opt_with copy_options(O) copy_where(W). {
    struct ast_copy *copy = NEW(AST_COPY, copy, HERE(K));
    copy->table = T; copy->columns = L; copy->from = F; copy->program = P; copy->file = N.text; copy->where = W.expr;
    copy->options = parser__concat(p, parser__concat(p, B, D), O);
    if (!F && W.expr != NULL) parser__fail(p, W.location, ERR_SYNTAX, "WHERE clause not allowed with COPY TO");
    if (P && N.text == NULL) parser__fail(p, -1, ERR_SYNTAX, "STDIN/STDOUT not allowed with PROGRAM");
    A = NODE(copy);
}
utility_stmt(A) ::= COPY(K) LP query_stmt(S) RP TO copy_program(P) copy_file(N) opt_with copy_options(O). {
    struct ast_copy *copy = NEW(AST_COPY, copy, HERE(K));
    copy->query = S; copy->program = P; copy->file = N.text; copy->options = O;
    if (P && N.text == NULL) parser__fail(p, -1, ERR_SYNTAX, "STDIN/STDOUT not allowed with PROGRAM");
    A = NODE(copy);
}
%type copy_where {struct {struct ast_node *expr; int32_t location;}}
copy_where(A) ::= . { A.expr = NULL; A.location = -1; }
copy_where(A) ::= WHERE(K) a_expr(E). { A.expr = E; A.location = HERE(K); }
%type opt_binary {struct ast_list *}
opt_binary(A) ::= . { A = NULL; }
opt_binary(A) ::= BINARY(K). { A = parser__list(p, parser__option(p, "format", parser__word(p, "binary", HERE(K)), HERE(K))); }
%type copy_from {bool}
copy_from(A) ::= FROM. { A = true; }
copy_from(A) ::= TO. { A = false; }
%type copy_program {bool}
copy_program(A) ::= . { A = false; }
copy_program(A) ::= PROGRAM. { A = true; }
%type copy_file {struct parser_token}
copy_file(A) ::= SCONST(T). { A = T; }
copy_file(A) ::= STDIN(T). { A = T; A.text = NULL; }
copy_file(A) ::= STDOUT(T). { A = T; A.text = NULL; }
%type copy_delimiter {struct ast_list *}
copy_delimiter(A) ::= . { A = NULL; }
copy_delimiter(A) ::= DELIMITERS(K) SCONST(T). { A = parser__list(p, parser__option(p, "delimiter", parser__string(p, AST_CONST_STRING, T), HERE(K))); }
copy_delimiter(A) ::= USING(K) DELIMITERS SCONST(T). { A = parser__list(p, parser__option(p, "delimiter", parser__string(p, AST_CONST_STRING, T), HERE(K))); }
%type copy_options {struct ast_list *}
copy_options(A) ::= copy_old_options(L). { A = L; }
copy_options(A) ::= LP copy_new_options(L) RP. { A = L; }
%type copy_old_options {struct ast_list *}
copy_old_options(A) ::= . { A = NULL; }
copy_old_options(A) ::= copy_old_options(L) copy_old_option(O). { A = L == NULL ? parser__list(p, O) : parser__append(p, L, O); }
copy_old_option(A) ::= BINARY(K). { A = parser__option(p, "format", parser__word(p, "binary", HERE(K)), HERE(K)); }
copy_old_option(A) ::= FREEZE(K). { A = parser__option(p, "freeze", parser__bool_const(p, true, HERE(K)), HERE(K)); }
copy_old_option(A) ::= DELIMITER(K) opt_as SCONST(T). { A = parser__option(p, "delimiter", parser__string(p, AST_CONST_STRING, T), HERE(K)); }
copy_old_option(A) ::= NULL(K) opt_as SCONST(T). { A = parser__option(p, "null", parser__string(p, AST_CONST_STRING, T), HERE(K)); }
copy_old_option(A) ::= CSV(K). { A = parser__option(p, "format", parser__word(p, "csv", HERE(K)), HERE(K)); }
copy_old_option(A) ::= HEADER(K). { A = parser__option(p, "header", parser__bool_const(p, true, HERE(K)), HERE(K)); }
copy_old_option(A) ::= QUOTE(K) opt_as SCONST(T). { A = parser__option(p, "quote", parser__string(p, AST_CONST_STRING, T), HERE(K)); }
copy_old_option(A) ::= ESCAPE(K) opt_as SCONST(T). { A = parser__option(p, "escape", parser__string(p, AST_CONST_STRING, T), HERE(K)); }
copy_old_option(A) ::= FORCE(K) QUOTE name_list(L). { A = parser__option(p, "force_quote", NULL, HERE(K)); ((struct ast_option *)A)->list = L; }
copy_old_option(A) ::= FORCE(K) QUOTE STAR(S). { A = parser__option(p, "force_quote", NULL, HERE(K)); struct ast_column *star = NEW(AST_COLUMN, column, HERE(S)); star->star = true; ((struct ast_option *)A)->list = parser__list(p, star); }
copy_old_option(A) ::= FORCE(K) NOT NULL name_list(L). { A = parser__option(p, "force_not_null", NULL, HERE(K)); ((struct ast_option *)A)->list = L; }
copy_old_option(A) ::= FORCE(K) NULL name_list(L). { A = parser__option(p, "force_null", NULL, HERE(K)); ((struct ast_option *)A)->list = L; }
copy_old_option(A) ::= ENCODING(K) SCONST(T). { A = parser__option(p, "encoding", parser__string(p, AST_CONST_STRING, T), HERE(K)); }
opt_as ::= .
opt_as ::= AS.
%type copy_new_options {struct ast_list *}
copy_new_options(A) ::= copy_new_option(O). { A = parser__list(p, O); }
copy_new_options(A) ::= copy_new_options(L) COMMA copy_new_option(O). { A = parser__append(p, L, O); }
copy_new_option(A) ::= col_label(N). { A = parser__option(p, N.text, NULL, HERE(N)); }
copy_new_option(A) ::= col_label(N) boolean_or_string(T). { A = parser__option(p, N.text, parser__word(p, T.text, HERE(T)), HERE(N)); }
copy_new_option(A) ::= col_label(N) numeric_only(V). { A = parser__option(p, N.text, V, HERE(N)); }
copy_new_option(A) ::= col_label(N) STAR(S). { A = parser__option(p, N.text, NULL, HERE(N)); struct ast_column *star = NEW(AST_COLUMN, column, HERE(S)); star->star = true; ((struct ast_option *)A)->list = parser__list(p, star); }
copy_new_option(A) ::= col_label(N) LP copy_words(L) RP. { A = parser__option(p, N.text, NULL, HERE(N)); ((struct ast_option *)A)->list = L; }
%type copy_words {struct ast_list *}
copy_words(A) ::= boolean_or_string(T). { A = parser__list(p, parser__name(p, T)); }
copy_words(A) ::= copy_words(L) COMMA boolean_or_string(T). { A = parser__append(p, L, parser__name(p, T)); }

/* ---- EXPLAIN, prepared statements, cursors --------------------------------------------------- */

utility_stmt(A) ::= EXPLAIN(K) explainable(S). { A = parser__explain(p, NULL, S, HERE(K)); }
utility_stmt(A) ::= EXPLAIN(K) analyze_word(Z) explain_verbose(V) explainable(S). {
    struct ast_list *options = parser__list(p, parser__option(p, "analyze", parser__bool_const(p, true, HERE(Z)), HERE(Z)));
    if (V.text != NULL) parser__append(p, options, parser__option(p, "verbose", parser__bool_const(p, true, HERE(V)), HERE(V)));
    A = parser__explain(p, options, S, HERE(K));
}
utility_stmt(A) ::= EXPLAIN(K) VERBOSE(V) explainable(S). { A = parser__explain(p, parser__list(p, parser__option(p, "verbose", parser__bool_const(p, true, HERE(V)), HERE(V))), S, HERE(K)); }
utility_stmt(A) ::= EXPLAIN(K) LP utility_options(L) RP explainable(S). { A = parser__explain(p, L, S, HERE(K)); }
%type explain_verbose {struct parser_token}
explain_verbose(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
explain_verbose(A) ::= VERBOSE(K). { A = K; }
%type analyze_word {struct parser_token}
analyze_word(A) ::= ANALYZE(K). { A = K; }
analyze_word(A) ::= ANALYSE(K). { A = K; }
explainable(A) ::= query_stmt(S). { A = S->kind == AST_SELECT ? parser__select_statement(p, (struct ast_select *)S) : S; }
explainable(A) ::= CREATE(K) persistence(P) TABLE if_not_exists(X) create_as_target(T) AS select_stmt(S) with_data(D). {
    T->node.location = HERE(K); T->persistence = P; T->if_not_exists = X; T->query = NODE(S); T->with_no_data = !D;
    A = NODE(T);
}
explainable(A) ::= execute_stmt(S). { A = S; }
explainable(A) ::= declare_stmt(S). { A = S; }
%type utility_options {struct ast_list *}
utility_options(A) ::= utility_option(O). { A = parser__list(p, O); }
utility_options(A) ::= utility_options(L) COMMA utility_option(O). { A = parser__append(p, L, O); }
utility_option(A) ::= utility_option_name(N). { A = parser__option(p, N.text, NULL, HERE(N)); }
utility_option(A) ::= utility_option_name(N) boolean_or_string(T). { A = parser__option(p, N.text, parser__word(p, T.text, HERE(T)), HERE(N)); }
utility_option(A) ::= utility_option_name(N) numeric_only(V). { A = parser__option(p, N.text, V, HERE(N)); }
%type utility_option_name {struct parser_token}
utility_option_name(A) ::= non_reserved_word(N). { A = N; }
utility_option_name(A) ::= analyze_word(N). { A = N; A.text = "analyze"; }

utility_stmt(A) ::= PREPARE(K) col_id(N) prepare_types(L) AS mark(B) query_stmt(S). {
    struct ast_prepare *prepare = NEW(AST_PREPARE, prepare, HERE(K));
    prepare->name = N.text; prepare->types = L;
    prepare->statement = S->kind == AST_SELECT ? parser__select_statement(p, (struct ast_select *)S) : S;
    parser__range(p, B, (int32_t)p->prev_end, &prepare->statement_start, &prepare->statement_size);
    A = NODE(prepare);
}
%type prepare_types {struct ast_list *}
prepare_types(A) ::= . { A = NULL; }
prepare_types(A) ::= LP type_list(L) RP. { A = L; }
%type type_list {struct ast_list *}
type_list(A) ::= typename(T). { A = parser__list(p, T); }
type_list(A) ::= type_list(L) COMMA typename(T). { A = parser__append(p, L, T); }
utility_stmt(A) ::= execute_stmt(S). { A = S; }
execute_stmt(A) ::= EXECUTE(K) col_id(N) execute_args(L). { A = NODE(NEW(AST_EXECUTE, execute, HERE(K))); ((struct ast_execute *)A)->name = N.text; ((struct ast_execute *)A)->args = L; }
%type execute_args {struct ast_list *}
execute_args(A) ::= . { A = NULL; }
execute_args(A) ::= LP expr_list(L) RP. { A = L; }
utility_stmt(A) ::= DEALLOCATE(K) col_id(N). { A = NODE(NEW(AST_DEALLOCATE, deallocate, HERE(K))); ((struct ast_deallocate *)A)->name = N.text; }
utility_stmt(A) ::= DEALLOCATE(K) ALL. { A = NODE(NEW(AST_DEALLOCATE, deallocate, HERE(K))); }
utility_stmt(A) ::= DEALLOCATE(K) PREPARE col_id(N). { A = NODE(NEW(AST_DEALLOCATE, deallocate, HERE(K))); ((struct ast_deallocate *)A)->name = N.text; }
utility_stmt(A) ::= DEALLOCATE(K) PREPARE ALL. { A = NODE(NEW(AST_DEALLOCATE, deallocate, HERE(K))); }

utility_stmt(A) ::= declare_stmt(S). { A = S; }
declare_stmt(A) ::= DECLARE(K) col_id(N) cursor_options(O) CURSOR cursor_hold(H) FOR mark(B) select_stmt(S). {
    struct ast_declare_cursor *declare = NEW(AST_DECLARE_CURSOR, declare_cursor, HERE(K));
    declare->name = N.text; declare->hold = H; declare->query = S;
    declare->binary = O.binary; declare->scroll = O.scroll; declare->insensitive = O.insensitive;
    parser__range(p, B, (int32_t)p->prev_end, &declare->query_start, &declare->query_size);
    A = NODE(declare);
}
%type cursor_options {struct {bool binary; int8_t scroll; int8_t insensitive;}}
cursor_options(A) ::= . { A.binary = false; A.scroll = -1; A.insensitive = -1; }
cursor_options(A) ::= cursor_options(L) BINARY. { A = L; A.binary = true; }
cursor_options(A) ::= cursor_options(L) SCROLL. { A = L; A.scroll = 1; }
cursor_options(A) ::= cursor_options(L) NO SCROLL. { A = L; A.scroll = 0; }
cursor_options(A) ::= cursor_options(L) INSENSITIVE. { A = L; A.insensitive = 1; }
cursor_options(A) ::= cursor_options(L) ASENSITIVE. { A = L; A.insensitive = 0; }
%type cursor_hold {bool}
cursor_hold(A) ::= . { A = false; }
cursor_hold(A) ::= WITH HOLD. { A = true; }
cursor_hold(A) ::= WITHOUT HOLD. { A = false; }

utility_stmt(A) ::= FETCH(K) fetch_args(F). { A = F; A->location = HERE(K); }
utility_stmt(A) ::= MOVE(K) fetch_args(F). { A = F; A->location = HERE(K); ((struct ast_fetch *)A)->move = true; }
fetch_args(A) ::= col_id(N). { A = parser__fetch(p, AST_FETCH_FORWARD, 1, N.text); }
fetch_args(A) ::= from_in col_id(N). { A = parser__fetch(p, AST_FETCH_FORWARD, 1, N.text); }
fetch_args(A) ::= NEXT opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_FORWARD, 1, N.text); }
fetch_args(A) ::= PRIOR opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_BACKWARD, 1, N.text); }
fetch_args(A) ::= FIRST opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_ABSOLUTE, 1, N.text); }
fetch_args(A) ::= LAST opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_ABSOLUTE, -1, N.text); }
fetch_args(A) ::= ABSOLUTE signed_iconst(C) opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_ABSOLUTE, C, N.text); }
fetch_args(A) ::= RELATIVE signed_iconst(C) opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_RELATIVE, C, N.text); }
fetch_args(A) ::= signed_iconst(C) opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_FORWARD, C, N.text); }
fetch_args(A) ::= ALL opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_FORWARD, INT64_MAX, N.text); }
fetch_args(A) ::= FORWARD opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_FORWARD, 1, N.text); }
fetch_args(A) ::= FORWARD signed_iconst(C) opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_FORWARD, C, N.text); }
fetch_args(A) ::= FORWARD ALL opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_FORWARD, INT64_MAX, N.text); }
fetch_args(A) ::= BACKWARD opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_BACKWARD, 1, N.text); }
fetch_args(A) ::= BACKWARD signed_iconst(C) opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_BACKWARD, C, N.text); }
fetch_args(A) ::= BACKWARD ALL opt_from_in col_id(N). { A = parser__fetch(p, AST_FETCH_BACKWARD, INT64_MAX, N.text); }
from_in ::= FROM.
from_in ::= IN.
opt_from_in ::= .
opt_from_in ::= from_in.
utility_stmt(A) ::= CLOSE(K) col_id(N). { A = NODE(NEW(AST_CLOSE_CURSOR, close_cursor, HERE(K))); ((struct ast_close_cursor *)A)->name = N.text; }
utility_stmt(A) ::= CLOSE(K) ALL. { A = NODE(NEW(AST_CLOSE_CURSOR, close_cursor, HERE(K))); }

/* ---- the rest -------------------------------------------------------------------------------- */

utility_stmt(A) ::= LOCK(K) opt_table relation_expr_list(L) lock_mode(M) opt_nowait(N). {
    struct ast_lock *lock = NEW(AST_LOCK, lock, HERE(K));
    lock->tables = L; lock->mode = M; lock->nowait = N;
    A = NODE(lock);
}
%type lock_mode {uint32_t}
lock_mode(A) ::= . { A = 8; }
lock_mode(A) ::= IN ACCESS SHARE MODE. { A = 1; }
lock_mode(A) ::= IN ROW SHARE MODE. { A = 2; }
lock_mode(A) ::= IN ROW EXCLUSIVE MODE. { A = 3; }
lock_mode(A) ::= IN SHARE UPDATE EXCLUSIVE MODE. { A = 4; }
lock_mode(A) ::= IN SHARE MODE. { A = 5; }
lock_mode(A) ::= IN SHARE ROW EXCLUSIVE MODE. { A = 6; }
lock_mode(A) ::= IN EXCLUSIVE MODE. { A = 7; }
lock_mode(A) ::= IN ACCESS EXCLUSIVE MODE. { A = 8; }
%type opt_nowait {bool}
opt_nowait(A) ::= . { A = false; }
opt_nowait(A) ::= NOWAIT. { A = true; }

utility_stmt(A) ::= VACUUM(K) vacuum_words(O) vacuum_tables(L). { A = parser__vacuum(p, true, O, L, HERE(K)); }
utility_stmt(A) ::= VACUUM(K) LP utility_options(O) RP vacuum_tables(L). { A = parser__vacuum(p, true, O, L, HERE(K)); }
utility_stmt(A) ::= analyze_word(K) explain_verbose(V) vacuum_tables(L). { A = parser__vacuum(p, false, V.text == NULL ? NULL : parser__list(p, parser__option(p, "verbose", NULL, HERE(V))), L, HERE(K)); }
utility_stmt(A) ::= analyze_word(K) LP utility_options(O) RP vacuum_tables(L). { A = parser__vacuum(p, false, O, L, HERE(K)); }
%type vacuum_words {struct ast_list *}
vacuum_words(A) ::= vacuum_full(F) vacuum_freeze(Z) explain_verbose(V) vacuum_analyze(Y). {
    A = parser__list(p, NULL);
    if (F.text != NULL) parser__append(p, A, parser__option(p, "full", NULL, HERE(F)));
    if (Z.text != NULL) parser__append(p, A, parser__option(p, "freeze", NULL, HERE(Z)));
    if (V.text != NULL) parser__append(p, A, parser__option(p, "verbose", NULL, HERE(V)));
    if (Y.text != NULL) parser__append(p, A, parser__option(p, "analyze", NULL, HERE(Y)));
}
%type vacuum_full {struct parser_token}
vacuum_full(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
vacuum_full(A) ::= FULL(K). { A = K; }
%type vacuum_freeze {struct parser_token}
vacuum_freeze(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
vacuum_freeze(A) ::= FREEZE(K). { A = K; }
%type vacuum_analyze {struct parser_token}
vacuum_analyze(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
vacuum_analyze(A) ::= analyze_word(K). { A = K; }
%type vacuum_tables {struct ast_list *}
vacuum_tables(A) ::= . { A = NULL; }
vacuum_tables(A) ::= vacuum_list(L). { A = L; }
%type vacuum_list {struct ast_list *}
vacuum_list(A) ::= vacuum_table(T). { A = parser__list(p, T); }
vacuum_list(A) ::= vacuum_list(L) COMMA vacuum_table(T). { A = parser__append(p, L, T); }
vacuum_table(A) ::= qualified_name(T) opt_name_list(L). { T->columns = L; A = NODE(T); }

utility_stmt(A) ::= CHECKPOINT(K). { A = NODE(NEW(AST_CHECKPOINT, checkpoint, HERE(K))); }
utility_stmt(A) ::= REINDEX(K) reindex_options(O) reindex_what(W) concurrently(C) qualified_name(T). {
    struct ast_reindex *reindex = NEW(AST_REINDEX, reindex, HERE(K));
    reindex->what = W.text; reindex->concurrently = C; reindex->name = T; reindex->options = O;
    A = NODE(reindex);
}
%type reindex_options {struct ast_list *}
reindex_options(A) ::= . { A = NULL; }
reindex_options(A) ::= LP utility_options(L) RP. { A = L; }
%type reindex_what {struct parser_token}
reindex_what(A) ::= INDEX(K). { A = K; }
reindex_what(A) ::= TABLE(K). { A = K; }
reindex_what(A) ::= SCHEMA(K). { A = K; }
reindex_what(A) ::= DATABASE(K). { A = K; }
reindex_what(A) ::= SYSTEM(K). { A = K; }
utility_stmt(A) ::= CLUSTER(K) opt_verbose qualified_name(T) access_method(M). { A = NODE(NEW(AST_CLUSTER, cluster, HERE(K))); ((struct ast_cluster *)A)->table = T; ((struct ast_cluster *)A)->index = M.text; }
utility_stmt(A) ::= CLUSTER(K) opt_verbose. { A = NODE(NEW(AST_CLUSTER, cluster, HERE(K))); }
opt_verbose ::= .
opt_verbose ::= VERBOSE.

/* SAGA is a token where a statement about one begins (parser.c); the other words are identifiers,
 * as those of sharding. What stands in a definition is collected
 * here, and put in order by parser__create_saga. */
utility_stmt(A) ::= CREATE(K) SAGA col_id(N) LP opt_saga_params(P) RP saga_items(L). { A = parser__create_saga(p, N.text, P, L, HERE(K)); }
%type opt_saga_params {struct ast_list *}
opt_saga_params(A) ::= . { A = NULL; }
opt_saga_params(A) ::= saga_params(L). { A = L; }
%type saga_params {struct ast_list *}
saga_params(A) ::= saga_param(N). { A = parser__list(p, N); }
saga_params(A) ::= saga_params(L) COMMA saga_param(N). { A = parser__append(p, L, N); }
saga_param(A) ::= col_id(N) typename(T). {
    struct ast_saga_param *param = NEW(AST_SAGA_PARAM, saga_param, HERE(N));
    param->name = N.text; param->type = T;
    A = NODE(param);
}
%type saga_items {struct ast_list *}
saga_items(A) ::= saga_item(N). { A = parser__list(p, N); }
saga_items(A) ::= saga_items(L) saga_item(N). { A = parser__append(p, L, N); }
saga_item(A) ::= col_id(N). { A = parser__option(p, N.text, NULL, HERE(N)); }
saga_item(A) ::= DO(N). { A = parser__option(p, "do", NULL, HERE(N)); }
saga_item(A) ::= TO(N). { A = parser__option(p, "to", NULL, HERE(N)); }
saga_item(A) ::= SCONST(N). { A = parser__string(p, AST_CONST_STRING, N); }
saga_item(A) ::= ICONST(N). { A = parser__integer(p, N); }
saga_item(A) ::= ON(K) qualified_name(T) LP mark(S) func_arg_list(L) mark_end(E) RP. {
    struct ast_saga_step *step = NEW(AST_SAGA_STEP, saga_step, HERE(K));
    step->table = T; step->keys = L;
    parser__range(p, S, E, &step->keys_start, &step->keys_size);
    A = NODE(step);
}
utility_stmt(A) ::= DROP(K) SAGA if_exists(X) col_id(N). {
    struct ast_drop_saga *drop = NEW(AST_DROP_SAGA, drop_saga, HERE(K));
    drop->if_exists = X; drop->name = N.text;
    A = NODE(drop);
}
utility_stmt(A) ::= START(K) SAGA col_id(N) LP opt_expr_list(L) RP saga_key(Y) saga_wait(Z). {
    struct ast_start_saga *start = NEW(AST_START_SAGA, start_saga, HERE(K));
    start->name = N.text; start->args = L; start->key = Y.text; start->wait = Z;
    A = NODE(start);
}
%type opt_expr_list {struct ast_list *}
opt_expr_list(A) ::= . { A = NULL; }
opt_expr_list(A) ::= expr_list(L). { A = L; }
%type saga_key {struct parser_token}
saga_key(A) ::= . { A = (struct parser_token){NULL, 0, -1}; }
saga_key(A) ::= WITH KEY SCONST(S). { A = S; }
%type saga_wait {bool}
saga_wait(A) ::= . { A = false; }
saga_wait(A) ::= IDENT(W). { parser__expect_word(p, W, "wait"); A = true; }
utility_stmt(A) ::= ALTER(K) SAGA IDENT(I) ICONST(N) col_id(C). { parser__expect_word(p, I, "instance"); A = parser__alter_saga(p, parser__int64(p, N), C, (struct parser_token){NULL, 0, -1}, HERE(K)); }
utility_stmt(A) ::= ALTER(K) SAGA IDENT(I) ICONST(N) col_id(C) IDENT(S) col_id(T). { parser__expect_word(p, I, "instance"); parser__expect_word(p, S, "step"); A = parser__alter_saga(p, parser__int64(p, N), C, T, HERE(K)); }

utility_stmt(A) ::= NOTIFY(K) col_id(N). { A = parser__notify(p, AST_NOTIFY_NOTIFY, N.text, NULL, HERE(K)); }
utility_stmt(A) ::= NOTIFY(K) col_id(N) COMMA SCONST(T). { A = parser__notify(p, AST_NOTIFY_NOTIFY, N.text, T.text, HERE(K)); }
utility_stmt(A) ::= LISTEN(K) col_id(N). { A = parser__notify(p, AST_NOTIFY_LISTEN, N.text, NULL, HERE(K)); }
utility_stmt(A) ::= UNLISTEN(K) col_id(N). { A = parser__notify(p, AST_NOTIFY_UNLISTEN, N.text, NULL, HERE(K)); }
utility_stmt(A) ::= UNLISTEN(K) STAR. { A = parser__notify(p, AST_NOTIFY_UNLISTEN, NULL, NULL, HERE(K)); }

/* ---- CREATE FUNCTION, CREATE PROCEDURE ------------------------------------------------------- */

utility_stmt(A) ::= CREATE(K) routine_kind(W) create_function(F). { F->node.location = HERE(K); F->kind = W; F->end = (int32_t)p->prev_end; A = NODE(F); }
utility_stmt(A) ::= CREATE(K) OR REPLACE routine_kind(W) create_function(F). { F->node.location = HERE(K); F->kind = W; F->replace = true; F->end = (int32_t)p->prev_end; A = NODE(F); }
%type routine_kind {char}
routine_kind(A) ::= FUNCTION. { A = 'f'; }
routine_kind(A) ::= PROCEDURE. { A = 'p'; }
%type routine_word {char}
routine_word(A) ::= routine_kind(W). { A = W; }
routine_word(A) ::= ROUTINE. { A = 'r'; }
%type create_function {struct ast_create_function *}
create_function(A) ::= func_name(N) LP func_params(L) RP func_tail(O). {
    A = NEW(AST_CREATE_FUNCTION, create_function, -1);
    A->name = parser__table(p, N); A->params = L; A->options = O;
}
create_function(A) ::= func_name(N) LP func_params(L) RP RETURNS typename(T) func_tail(O). {
    A = NEW(AST_CREATE_FUNCTION, create_function, -1);
    A->name = parser__table(p, N); A->params = L; A->result = T; A->returns_set = T->setof; A->options = O;
}
create_function(A) ::= func_name(N) LP func_params(L) RP RETURNS TABLE LP func_param_list(C) RP func_tail(O). {
    A = NEW(AST_CREATE_FUNCTION, create_function, -1);
    A->name = parser__table(p, N); A->params = L; A->columns = C; A->returns_set = true; A->options = O;
}
%type func_params {struct ast_list *}
func_params(A) ::= . { A = NULL; }
func_params(A) ::= func_param_list(L). { A = L; }
%type func_param_list {struct ast_list *}
func_param_list(A) ::= func_param(E). { A = parser__list(p, E); }
func_param_list(A) ::= func_param_list(L) COMMA func_param(E). { A = parser__append(p, L, E); }
%type func_param {struct ast_function_param *}
func_param(A) ::= func_param_decl(D). { A = D; }
func_param(A) ::= func_param_decl(D) DEFAULT a_expr(E). { A = D; A->value = E; }
func_param(A) ::= func_param_decl(D) EQ a_expr(E). { A = D; A->value = E; }
%type func_param_decl {struct ast_function_param *}
func_param_decl(A) ::= func_param_type(D). { A = D; }
func_param_decl(A) ::= func_param_mode(M) func_param_type(D). { A = D; A->mode = M; }
func_param_decl(A) ::= type_function_name(N) func_param_mode(M) typename(T). { A = NEW(AST_FUNCTION_PARAM, function_param, HERE(N)); A->mode = M; A->name = N.text; A->type = T; }
%type func_param_type {struct ast_function_param *}
func_param_type(A) ::= typename(T). { A = NEW(AST_FUNCTION_PARAM, function_param, T->node.location); A->mode = 'i'; A->type = T; }
func_param_type(A) ::= type_function_name(N) typename(T). { A = NEW(AST_FUNCTION_PARAM, function_param, HERE(N)); A->mode = 'i'; A->name = N.text; A->type = T; }
%type func_param_mode {char}
func_param_mode(A) ::= IN. { A = 'i'; }
func_param_mode(A) ::= OUT. { A = 'o'; }
func_param_mode(A) ::= INOUT. { A = 'b'; }
func_param_mode(A) ::= IN OUT. { A = 'b'; }
func_param_mode(A) ::= VARIADIC. { A = 'v'; }
%type func_tail {struct ast_list *}
func_tail(A) ::= func_options(O). { A = O; }
func_tail(A) ::= func_body(B). { A = parser__list(p, B); }
func_tail(A) ::= func_options(O) func_body(B). { A = parser__append(p, O, B); }
/* The text of what a body of SQL's own form does: as it would stand in a string. */
func_body(A) ::= RETURN(K) mark(S) a_expr. { A = parser__body(p, "SELECT ", S, (int32_t)p->prev_end, HERE(K)); }
func_body(A) ::= BEGIN(K) ATOMIC mark(S) atomic_list mark_end(E) END. { A = parser__body(p, "", S, E, HERE(K)); }
atomic_list ::= .
atomic_list ::= atomic_list query_stmt SEMI.
%type func_options {struct ast_list *}
func_options(A) ::= func_option(O). { A = parser__list(p, O); }
func_options(A) ::= func_options(L) func_option(O). { A = parser__append(p, L, O); }
func_option(A) ::= AS(K) SCONST(B). { A = parser__option(p, "as", parser__string(p, AST_CONST_STRING, B), HERE(K)); }
func_option(A) ::= LANGUAGE(K) word_or_string(L). { A = parser__option(p, "language", parser__string(p, AST_CONST_STRING, L), HERE(K)); }
func_option(A) ::= alter_func_option(O). { A = O; }
alter_func_option(A) ::= IMMUTABLE(K). { A = parser__option(p, "immutable", NULL, HERE(K)); }
alter_func_option(A) ::= STABLE(K). { A = parser__option(p, "stable", NULL, HERE(K)); }
alter_func_option(A) ::= VOLATILE(K). { A = parser__option(p, "volatile", NULL, HERE(K)); }
alter_func_option(A) ::= STRICT(K). { A = parser__option(p, "strict", NULL, HERE(K)); }
alter_func_option(A) ::= CALLED(K) ON NULL INPUT. { A = parser__option(p, "called", NULL, HERE(K)); }
alter_func_option(A) ::= RETURNS(K) NULL ON NULL INPUT. { A = parser__option(p, "strict", NULL, HERE(K)); }
alter_func_option(A) ::= SECURITY(K) DEFINER. { A = parser__option(p, "definer", NULL, HERE(K)); }
alter_func_option(A) ::= SECURITY(K) INVOKER. { A = parser__option(p, "invoker", NULL, HERE(K)); }
alter_func_option(A) ::= EXTERNAL(K) SECURITY DEFINER. { A = parser__option(p, "definer", NULL, HERE(K)); }
alter_func_option(A) ::= EXTERNAL(K) SECURITY INVOKER. { A = parser__option(p, "invoker", NULL, HERE(K)); }
alter_func_option(A) ::= LEAKPROOF(K). { A = parser__option(p, "leakproof", NULL, HERE(K)); }
alter_func_option(A) ::= NOT(K) LEAKPROOF. { A = parser__option(p, "not leakproof", NULL, HERE(K)); }
alter_func_option(A) ::= COST(K) numeric_only(N). { A = parser__option(p, "cost", N, HERE(K)); }
alter_func_option(A) ::= ROWS(K) numeric_only(N). { A = parser__option(p, "rows", N, HERE(K)); }
alter_func_option(A) ::= PARALLEL(K) col_id(N). { A = parser__option(p, "parallel", parser__string(p, AST_CONST_STRING, N), HERE(K)); }
alter_func_option(A) ::= SET(K) set_rest_more(S). { A = parser__option(p, "set", NODE(S), HERE(K)); }
alter_func_option(A) ::= RESET(K) generic_reset(S). { A = parser__option(p, "set", NODE(S), HERE(K)); }

utility_stmt(A) ::= DROP(K) routine_word(W) if_exists(X) drop_routines(L) opt_cascade(C). {
    struct ast_drop_function *drop = NEW(AST_DROP_FUNCTION, drop_function, HERE(K));
    drop->kind = W; drop->if_exists = X; drop->names = L; drop->cascade = C;
    A = NODE(drop);
}
%type drop_routines {struct ast_list *}
drop_routines(A) ::= drop_routine(E). { A = parser__list(p, E); }
drop_routines(A) ::= drop_routines(L) COMMA drop_routine(E). { A = parser__append(p, L, E); }
%type drop_routine {struct ast_create_function *}
drop_routine(A) ::= any_name(N). { A = NEW(AST_CREATE_FUNCTION, create_function, -1); A->name = parser__table(p, N); }
drop_routine(A) ::= any_name(N) LP func_params(L) RP. {
    A = NEW(AST_CREATE_FUNCTION, create_function, -1);
    A->name = parser__table(p, N); A->params = L; A->returns_set = true; /* the parameters are said */
}

%type alter_routine {struct ast_alter_function *}
alter_routine(A) ::= ALTER(K) routine_word(W) drop_routine(E). {
    A = NEW(AST_ALTER_FUNCTION, alter_function, HERE(K));
    A->kind = W; A->target = E;
}
utility_stmt(A) ::= alter_routine(R) alter_func_options(L). { R->options = L; R->end = (int32_t)p->prev_end; A = NODE(R); }
utility_stmt(A) ::= alter_routine(R) alter_func_options(L) mark_end(E) RESTRICT. { R->options = L; R->end = E; A = NODE(R); }
utility_stmt(A) ::= alter_routine(R) RENAME TO col_id(N). { R->name = N.text; A = NODE(R); }
utility_stmt(A) ::= alter_routine(R) OWNER TO role_name(N). { R->owner = N.text; A = NODE(R); }
utility_stmt(A) ::= alter_routine(R) SET SCHEMA col_id(N). { R->schema = N.text; A = NODE(R); }
%type alter_func_options {struct ast_list *}
alter_func_options(A) ::= alter_func_option(O). { A = parser__list(p, O); }
alter_func_options(A) ::= alter_func_options(L) alter_func_option(O). { A = parser__append(p, L, O); }

utility_stmt(A) ::= COMMENT(K) ON routine_word(W) drop_routine(E) IS comment_text(X). { A = parser__comment(p, AST_OBJECT_FUNCTION, E->name, NULL, X.text, HERE(K)); ((struct ast_comment *)A)->routine = E; E->kind = W; }

utility_stmt(A) ::= DO(K) SCONST(B). { A = NODE(NEW(AST_DO, do, HERE(K))); ((struct ast_do *)A)->body = B.text; }
utility_stmt(A) ::= DO(K) SCONST(B) LANGUAGE word_or_string(L). { A = NODE(NEW(AST_DO, do, HERE(K))); ((struct ast_do *)A)->body = B.text; ((struct ast_do *)A)->language = L.text; }
utility_stmt(A) ::= DO(K) LANGUAGE word_or_string(L) SCONST(B). { A = NODE(NEW(AST_DO, do, HERE(K))); ((struct ast_do *)A)->body = B.text; ((struct ast_do *)A)->language = L.text; }
utility_stmt(A) ::= CALL(K) func_application(C). { A = NODE(NEW(AST_CALL_STATEMENT, call_statement, HERE(K))); ((struct ast_call_statement *)A)->call = C; parser__above(p, A, C); }

utility_stmt(A) ::= GRANT(K) privileges(P) ON grant_target(T) TO grantees(G) grant_option(O). {
    T->node.location = HERE(K); T->privileges = P; T->grantees = G; T->grant_option = O;
    A = NODE(T);
}
utility_stmt(A) ::= REVOKE(K) privileges(P) ON grant_target(T) FROM grantees(G) opt_cascade(C). {
    T->node.location = HERE(K); T->privileges = P; T->grantees = G; T->revoke = true; T->cascade = C;
    A = NODE(T);
}
utility_stmt(A) ::= REVOKE(K) GRANT OPTION FOR privileges(P) ON grant_target(T) FROM grantees(G) opt_cascade(C). {
    T->node.location = HERE(K); T->privileges = P; T->grantees = G; T->revoke = true; T->cascade = C; T->grant_option = true;
    A = NODE(T);
}
utility_stmt(A) ::= GRANT(K) privilege_list(P) TO grantees(G) admin_option(O). {
    struct ast_grant *grant = NEW(AST_GRANT, grant, HERE(K));
    grant->role = true; grant->privileges = P; grant->grantees = G; grant->grant_option = O; grant->object = AST_OBJECT_ROLE;
    A = NODE(grant);
}
utility_stmt(A) ::= REVOKE(K) privilege_list(P) FROM grantees(G) opt_cascade(C). {
    struct ast_grant *grant = NEW(AST_GRANT, grant, HERE(K));
    grant->role = true; grant->revoke = true; grant->privileges = P; grant->grantees = G; grant->cascade = C; grant->object = AST_OBJECT_ROLE;
    A = NODE(grant);
}
utility_stmt(A) ::= REVOKE(K) ADMIN OPTION FOR privilege_list(P) FROM grantees(G) opt_cascade(C). {
    struct ast_grant *grant = NEW(AST_GRANT, grant, HERE(K));
    grant->role = true; grant->revoke = true; grant->grant_option = true; grant->privileges = P; grant->grantees = G; grant->cascade = C; grant->object = AST_OBJECT_ROLE;
    A = NODE(grant);
}
utility_stmt(A) ::= ALTER(K) DEFAULT PRIVILEGES default_scope(S) default_action(G). {
    S->node.location = HERE(K); S->grant = G;
    A = NODE(S);
}
%type default_scope {struct ast_alter_default *}
default_scope(A) ::= . { A = NEW(AST_ALTER_DEFAULT, alter_default, -1); }
default_scope(A) ::= default_scope(S) FOR ROLE role_list(L). { S->roles = L; A = S; }
default_scope(A) ::= default_scope(S) FOR USER role_list(L). { S->roles = L; A = S; }
default_scope(A) ::= default_scope(S) IN SCHEMA name_list(L). { S->schemas = L; A = S; }
%type default_action {struct ast_grant *}
default_action(A) ::= GRANT privileges(P) ON default_target(T) TO grantees(G) grant_option(O). {
    A = T; A->privileges = P; A->grantees = G; A->grant_option = O;
}
default_action(A) ::= REVOKE privileges(P) ON default_target(T) FROM grantees(G) opt_cascade(C). {
    A = T; A->privileges = P; A->grantees = G; A->revoke = true; A->cascade = C;
}
default_action(A) ::= REVOKE GRANT OPTION FOR privileges(P) ON default_target(T) FROM grantees(G) opt_cascade(C). {
    A = T; A->privileges = P; A->grantees = G; A->revoke = true; A->cascade = C; A->grant_option = true;
}
%type default_target {struct ast_grant *}
default_target(A) ::= TABLES. { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_TABLE; }
default_target(A) ::= SEQUENCES. { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_SEQUENCE; }
default_target(A) ::= FUNCTIONS. { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_FUNCTION; }
default_target(A) ::= ROUTINES. { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_FUNCTION; }
default_target(A) ::= TYPES. { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_TYPE; }
default_target(A) ::= SCHEMAS. { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_SCHEMA; }
%type privileges {struct ast_list *}
privileges(A) ::= ALL. { A = NULL; }
privileges(A) ::= ALL PRIVILEGES. { A = NULL; }
privileges(A) ::= privilege_list(L). { A = L; }
%type privilege_list {struct ast_list *}
privilege_list(A) ::= privilege(N). { A = parser__list(p, N); }
privilege_list(A) ::= privilege_list(L) COMMA privilege(N). { A = parser__append(p, L, N); }
privilege(A) ::= SELECT(N) opt_name_list(L). { A = parser__privilege(p, N, L); }
privilege(A) ::= REFERENCES(N) opt_name_list(L). { A = parser__privilege(p, N, L); }
privilege(A) ::= CREATE(N) opt_name_list(L). { A = parser__privilege(p, N, L); }
privilege(A) ::= col_id(N) opt_name_list(L). { A = parser__privilege(p, N, L); }
%type grant_target {struct ast_grant *}
grant_target(A) ::= qualified_name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_TABLE; A->objects = L; }
grant_target(A) ::= TABLE qualified_name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_TABLE; A->objects = L; }
grant_target(A) ::= SEQUENCE qualified_name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_SEQUENCE; A->objects = L; }
grant_target(A) ::= SCHEMA name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_SCHEMA; A->objects = parser__names_to_tables(p, L); }
grant_target(A) ::= DATABASE name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_DATABASE; A->objects = parser__names_to_tables(p, L); }
grant_target(A) ::= TYPE qualified_name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_TYPE; A->objects = L; }
grant_target(A) ::= LANGUAGE name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_OTHER; A->objects = parser__names_to_tables(p, L); }
grant_target(A) ::= ALL TABLES IN SCHEMA name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_TABLE; A->all_in_schema = true; A->objects = parser__names_to_tables(p, L); }
grant_target(A) ::= ALL SEQUENCES IN SCHEMA name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_SEQUENCE; A->all_in_schema = true; A->objects = parser__names_to_tables(p, L); }
grant_target(A) ::= ALL FUNCTIONS IN SCHEMA name_list(L). { A = NEW(AST_GRANT, grant, -1); A->object = AST_OBJECT_FUNCTION; A->all_in_schema = true; A->objects = parser__names_to_tables(p, L); }
%type grantees {struct ast_list *}
grantees(A) ::= grantee(R). { A = parser__list(p, parser__name(p, R)); }
grantees(A) ::= grantees(L) COMMA grantee(R). { A = parser__append(p, L, parser__name(p, R)); }
%type grantee {struct parser_token}
grantee(A) ::= role_name(R). { A = R; }
grantee(A) ::= GROUP role_name(R). { A = R; }
%type grant_option {bool}
grant_option(A) ::= . { A = false; }
grant_option(A) ::= WITH GRANT OPTION. { A = true; }
%type admin_option {bool}
admin_option(A) ::= . { A = false; }
admin_option(A) ::= WITH ADMIN OPTION. { A = true; }

/* ---- keyword classes, written by tools/keywords.py ------------------------------------------ */

%type unreserved_keyword {struct parser_token}
unreserved_keyword(A) ::= ABORT(T). { A = T; }
unreserved_keyword(A) ::= ABSOLUTE(T). { A = T; }
unreserved_keyword(A) ::= ACCESS(T). { A = T; }
unreserved_keyword(A) ::= ACTION(T). { A = T; }
unreserved_keyword(A) ::= ADD(T). { A = T; }
unreserved_keyword(A) ::= ADMIN(T). { A = T; }
unreserved_keyword(A) ::= AFTER(T). { A = T; }
unreserved_keyword(A) ::= ALTER(T). { A = T; }
unreserved_keyword(A) ::= ALWAYS(T). { A = T; }
unreserved_keyword(A) ::= ASENSITIVE(T). { A = T; }
unreserved_keyword(A) ::= AT(T). { A = T; }
unreserved_keyword(A) ::= ATOMIC(T). { A = T; }
unreserved_keyword(A) ::= BACKWARD(T). { A = T; }
unreserved_keyword(A) ::= BEFORE(T). { A = T; }
unreserved_keyword(A) ::= BEGIN(T). { A = T; }
unreserved_keyword(A) ::= BY(T). { A = T; }
unreserved_keyword(A) ::= CACHE(T). { A = T; }
unreserved_keyword(A) ::= CALL(T). { A = T; }
unreserved_keyword(A) ::= CALLED(T). { A = T; }
unreserved_keyword(A) ::= CASCADE(T). { A = T; }
unreserved_keyword(A) ::= CASCADED(T). { A = T; }
unreserved_keyword(A) ::= CATALOG(T). { A = T; }
unreserved_keyword(A) ::= CHAIN(T). { A = T; }
unreserved_keyword(A) ::= CHARACTERISTICS(T). { A = T; }
unreserved_keyword(A) ::= CHECKPOINT(T). { A = T; }
unreserved_keyword(A) ::= CLOSE(T). { A = T; }
unreserved_keyword(A) ::= CLUSTER(T). { A = T; }
unreserved_keyword(A) ::= COMMENT(T). { A = T; }
unreserved_keyword(A) ::= COMMENTS(T). { A = T; }
unreserved_keyword(A) ::= COMMIT(T). { A = T; }
unreserved_keyword(A) ::= COMMITTED(T). { A = T; }
unreserved_keyword(A) ::= COMPRESSION(T). { A = T; }
unreserved_keyword(A) ::= CONFLICT(T). { A = T; }
unreserved_keyword(A) ::= CONNECTION(T). { A = T; }
unreserved_keyword(A) ::= CONSTRAINTS(T). { A = T; }
unreserved_keyword(A) ::= CONTINUE(T). { A = T; }
unreserved_keyword(A) ::= COPY(T). { A = T; }
unreserved_keyword(A) ::= COST(T). { A = T; }
unreserved_keyword(A) ::= CSV(T). { A = T; }
unreserved_keyword(A) ::= CUBE(T). { A = T; }
unreserved_keyword(A) ::= CURRENT(T). { A = T; }
unreserved_keyword(A) ::= CURSOR(T). { A = T; }
unreserved_keyword(A) ::= CYCLE(T). { A = T; }
unreserved_keyword(A) ::= DATA(T). { A = T; }
unreserved_keyword(A) ::= DATABASE(T). { A = T; }
unreserved_keyword(A) ::= DAY(T). { A = T; }
unreserved_keyword(A) ::= DEALLOCATE(T). { A = T; }
unreserved_keyword(A) ::= DECLARE(T). { A = T; }
unreserved_keyword(A) ::= DEFAULTS(T). { A = T; }
unreserved_keyword(A) ::= DEFERRED(T). { A = T; }
unreserved_keyword(A) ::= DEFINER(T). { A = T; }
unreserved_keyword(A) ::= DELETE(T). { A = T; }
unreserved_keyword(A) ::= DELIMITER(T). { A = T; }
unreserved_keyword(A) ::= DELIMITERS(T). { A = T; }
unreserved_keyword(A) ::= DISABLE(T). { A = T; }
unreserved_keyword(A) ::= DISCARD(T). { A = T; }
unreserved_keyword(A) ::= DOCUMENT(T). { A = T; }
unreserved_keyword(A) ::= DOMAIN(T). { A = T; }
unreserved_keyword(A) ::= DOUBLE(T). { A = T; }
unreserved_keyword(A) ::= DROP(T). { A = T; }
unreserved_keyword(A) ::= ENABLE(T). { A = T; }
unreserved_keyword(A) ::= ENCODING(T). { A = T; }
unreserved_keyword(A) ::= ENCRYPTED(T). { A = T; }
unreserved_keyword(A) ::= ENUM(T). { A = T; }
unreserved_keyword(A) ::= ESCAPE(T). { A = T; }
unreserved_keyword(A) ::= EXCLUDE(T). { A = T; }
unreserved_keyword(A) ::= EXCLUDING(T). { A = T; }
unreserved_keyword(A) ::= EXCLUSIVE(T). { A = T; }
unreserved_keyword(A) ::= EXECUTE(T). { A = T; }
unreserved_keyword(A) ::= EXPLAIN(T). { A = T; }
unreserved_keyword(A) ::= EXPRESSION(T). { A = T; }
unreserved_keyword(A) ::= EXTENSION(T). { A = T; }
unreserved_keyword(A) ::= EXTERNAL(T). { A = T; }
unreserved_keyword(A) ::= FILTER(T). { A = T; }
unreserved_keyword(A) ::= FIRST(T). { A = T; }
unreserved_keyword(A) ::= FOLLOWING(T). { A = T; }
unreserved_keyword(A) ::= FORCE(T). { A = T; }
unreserved_keyword(A) ::= FORWARD(T). { A = T; }
unreserved_keyword(A) ::= FUNCTION(T). { A = T; }
unreserved_keyword(A) ::= FUNCTIONS(T). { A = T; }
unreserved_keyword(A) ::= GENERATED(T). { A = T; }
unreserved_keyword(A) ::= GLOBAL(T). { A = T; }
unreserved_keyword(A) ::= GROUPS(T). { A = T; }
unreserved_keyword(A) ::= HEADER(T). { A = T; }
unreserved_keyword(A) ::= HOLD(T). { A = T; }
unreserved_keyword(A) ::= HOUR(T). { A = T; }
unreserved_keyword(A) ::= IDENTITY(T). { A = T; }
unreserved_keyword(A) ::= IF(T). { A = T; }
unreserved_keyword(A) ::= IMMEDIATE(T). { A = T; }
unreserved_keyword(A) ::= IMMUTABLE(T). { A = T; }
unreserved_keyword(A) ::= INCLUDE(T). { A = T; }
unreserved_keyword(A) ::= INCLUDING(T). { A = T; }
unreserved_keyword(A) ::= INCREMENT(T). { A = T; }
unreserved_keyword(A) ::= INDEX(T). { A = T; }
unreserved_keyword(A) ::= INDEXES(T). { A = T; }
unreserved_keyword(A) ::= INHERIT(T). { A = T; }
unreserved_keyword(A) ::= INHERITS(T). { A = T; }
unreserved_keyword(A) ::= INPUT(T). { A = T; }
unreserved_keyword(A) ::= INSENSITIVE(T). { A = T; }
unreserved_keyword(A) ::= INSERT(T). { A = T; }
unreserved_keyword(A) ::= INVOKER(T). { A = T; }
unreserved_keyword(A) ::= ISOLATION(T). { A = T; }
unreserved_keyword(A) ::= KEY(T). { A = T; }
unreserved_keyword(A) ::= LANGUAGE(T). { A = T; }
unreserved_keyword(A) ::= LAST(T). { A = T; }
unreserved_keyword(A) ::= LEAKPROOF(T). { A = T; }
unreserved_keyword(A) ::= LEVEL(T). { A = T; }
unreserved_keyword(A) ::= LISTEN(T). { A = T; }
unreserved_keyword(A) ::= LOCAL(T). { A = T; }
unreserved_keyword(A) ::= LOCATION(T). { A = T; }
unreserved_keyword(A) ::= LOCK(T). { A = T; }
unreserved_keyword(A) ::= LOCKED(T). { A = T; }
unreserved_keyword(A) ::= LOGGED(T). { A = T; }
unreserved_keyword(A) ::= MATCH(T). { A = T; }
unreserved_keyword(A) ::= MATERIALIZED(T). { A = T; }
unreserved_keyword(A) ::= MAXVALUE(T). { A = T; }
unreserved_keyword(A) ::= METHOD(T). { A = T; }
unreserved_keyword(A) ::= MINUTE(T). { A = T; }
unreserved_keyword(A) ::= MINVALUE(T). { A = T; }
unreserved_keyword(A) ::= MODE(T). { A = T; }
unreserved_keyword(A) ::= MONTH(T). { A = T; }
unreserved_keyword(A) ::= MOVE(T). { A = T; }
unreserved_keyword(A) ::= NAMES(T). { A = T; }
unreserved_keyword(A) ::= NEXT(T). { A = T; }
unreserved_keyword(A) ::= NFC(T). { A = T; }
unreserved_keyword(A) ::= NFD(T). { A = T; }
unreserved_keyword(A) ::= NFKC(T). { A = T; }
unreserved_keyword(A) ::= NFKD(T). { A = T; }
unreserved_keyword(A) ::= NO(T). { A = T; }
unreserved_keyword(A) ::= NORMALIZED(T). { A = T; }
unreserved_keyword(A) ::= NOTHING(T). { A = T; }
unreserved_keyword(A) ::= NOTIFY(T). { A = T; }
unreserved_keyword(A) ::= NOWAIT(T). { A = T; }
unreserved_keyword(A) ::= NULLS(T). { A = T; }
unreserved_keyword(A) ::= OF(T). { A = T; }
unreserved_keyword(A) ::= OIDS(T). { A = T; }
unreserved_keyword(A) ::= OPERATOR(T). { A = T; }
unreserved_keyword(A) ::= OPTION(T). { A = T; }
unreserved_keyword(A) ::= ORDINALITY(T). { A = T; }
unreserved_keyword(A) ::= OTHERS(T). { A = T; }
unreserved_keyword(A) ::= OVER(T). { A = T; }
unreserved_keyword(A) ::= OVERRIDING(T). { A = T; }
unreserved_keyword(A) ::= OWNED(T). { A = T; }
unreserved_keyword(A) ::= OWNER(T). { A = T; }
unreserved_keyword(A) ::= PARALLEL(T). { A = T; }
unreserved_keyword(A) ::= PARTIAL(T). { A = T; }
unreserved_keyword(A) ::= PARTITION(T). { A = T; }
unreserved_keyword(A) ::= PASSWORD(T). { A = T; }
unreserved_keyword(A) ::= PLANS(T). { A = T; }
unreserved_keyword(A) ::= PRECEDING(T). { A = T; }
unreserved_keyword(A) ::= PREPARE(T). { A = T; }
unreserved_keyword(A) ::= PREPARED(T). { A = T; }
unreserved_keyword(A) ::= PRESERVE(T). { A = T; }
unreserved_keyword(A) ::= PRIOR(T). { A = T; }
unreserved_keyword(A) ::= PRIVILEGES(T). { A = T; }
unreserved_keyword(A) ::= PROCEDURE(T). { A = T; }
unreserved_keyword(A) ::= PROGRAM(T). { A = T; }
unreserved_keyword(A) ::= QUOTE(T). { A = T; }
unreserved_keyword(A) ::= RANGE(T). { A = T; }
unreserved_keyword(A) ::= READ(T). { A = T; }
unreserved_keyword(A) ::= REASSIGN(T). { A = T; }
unreserved_keyword(A) ::= RECURSIVE(T). { A = T; }
unreserved_keyword(A) ::= REFRESH(T). { A = T; }
unreserved_keyword(A) ::= REINDEX(T). { A = T; }
unreserved_keyword(A) ::= RELATIVE(T). { A = T; }
unreserved_keyword(A) ::= RELEASE(T). { A = T; }
unreserved_keyword(A) ::= RENAME(T). { A = T; }
unreserved_keyword(A) ::= REPEATABLE(T). { A = T; }
unreserved_keyword(A) ::= REPLACE(T). { A = T; }
unreserved_keyword(A) ::= REPLICA(T). { A = T; }
unreserved_keyword(A) ::= RESET(T). { A = T; }
unreserved_keyword(A) ::= RESTART(T). { A = T; }
unreserved_keyword(A) ::= RESTRICT(T). { A = T; }
unreserved_keyword(A) ::= RETURN(T). { A = T; }
unreserved_keyword(A) ::= RETURNS(T). { A = T; }
unreserved_keyword(A) ::= REVOKE(T). { A = T; }
unreserved_keyword(A) ::= ROLE(T). { A = T; }
unreserved_keyword(A) ::= ROLLBACK(T). { A = T; }
unreserved_keyword(A) ::= ROLLUP(T). { A = T; }
unreserved_keyword(A) ::= ROUTINE(T). { A = T; }
unreserved_keyword(A) ::= ROUTINES(T). { A = T; }
unreserved_keyword(A) ::= ROWS(T). { A = T; }
unreserved_keyword(A) ::= SAVEPOINT(T). { A = T; }
unreserved_keyword(A) ::= SCHEMA(T). { A = T; }
unreserved_keyword(A) ::= SCHEMAS(T). { A = T; }
unreserved_keyword(A) ::= SCROLL(T). { A = T; }
unreserved_keyword(A) ::= SECOND(T). { A = T; }
unreserved_keyword(A) ::= SECURITY(T). { A = T; }
unreserved_keyword(A) ::= SEQUENCE(T). { A = T; }
unreserved_keyword(A) ::= SEQUENCES(T). { A = T; }
unreserved_keyword(A) ::= SERIALIZABLE(T). { A = T; }
unreserved_keyword(A) ::= SESSION(T). { A = T; }
unreserved_keyword(A) ::= SET(T). { A = T; }
unreserved_keyword(A) ::= SETS(T). { A = T; }
unreserved_keyword(A) ::= SHARE(T). { A = T; }
unreserved_keyword(A) ::= SHOW(T). { A = T; }
unreserved_keyword(A) ::= SIMPLE(T). { A = T; }
unreserved_keyword(A) ::= SKIP(T). { A = T; }
unreserved_keyword(A) ::= SNAPSHOT(T). { A = T; }
unreserved_keyword(A) ::= STABLE(T). { A = T; }
unreserved_keyword(A) ::= START(T). { A = T; }
unreserved_keyword(A) ::= STATISTICS(T). { A = T; }
unreserved_keyword(A) ::= STDIN(T). { A = T; }
unreserved_keyword(A) ::= STDOUT(T). { A = T; }
unreserved_keyword(A) ::= STORAGE(T). { A = T; }
unreserved_keyword(A) ::= STORED(T). { A = T; }
unreserved_keyword(A) ::= STRICT(T). { A = T; }
unreserved_keyword(A) ::= SYSTEM(T). { A = T; }
unreserved_keyword(A) ::= TABLES(T). { A = T; }
unreserved_keyword(A) ::= TABLESPACE(T). { A = T; }
unreserved_keyword(A) ::= TEMP(T). { A = T; }
unreserved_keyword(A) ::= TEMPLATE(T). { A = T; }
unreserved_keyword(A) ::= TEMPORARY(T). { A = T; }
unreserved_keyword(A) ::= TIES(T). { A = T; }
unreserved_keyword(A) ::= TRANSACTION(T). { A = T; }
unreserved_keyword(A) ::= TRIGGER(T). { A = T; }
unreserved_keyword(A) ::= TRUNCATE(T). { A = T; }
unreserved_keyword(A) ::= TYPE(T). { A = T; }
unreserved_keyword(A) ::= TYPES(T). { A = T; }
unreserved_keyword(A) ::= UNBOUNDED(T). { A = T; }
unreserved_keyword(A) ::= UNCOMMITTED(T). { A = T; }
unreserved_keyword(A) ::= UNKNOWN(T). { A = T; }
unreserved_keyword(A) ::= UNLISTEN(T). { A = T; }
unreserved_keyword(A) ::= UNLOGGED(T). { A = T; }
unreserved_keyword(A) ::= UNTIL(T). { A = T; }
unreserved_keyword(A) ::= UPDATE(T). { A = T; }
unreserved_keyword(A) ::= VACUUM(T). { A = T; }
unreserved_keyword(A) ::= VALID(T). { A = T; }
unreserved_keyword(A) ::= VALIDATE(T). { A = T; }
unreserved_keyword(A) ::= VALUE(T). { A = T; }
unreserved_keyword(A) ::= VARYING(T). { A = T; }
unreserved_keyword(A) ::= VIEW(T). { A = T; }
unreserved_keyword(A) ::= VOLATILE(T). { A = T; }
unreserved_keyword(A) ::= WITHIN(T). { A = T; }
unreserved_keyword(A) ::= WITHOUT(T). { A = T; }
unreserved_keyword(A) ::= WORK(T). { A = T; }
unreserved_keyword(A) ::= WRITE(T). { A = T; }
unreserved_keyword(A) ::= YEAR(T). { A = T; }
unreserved_keyword(A) ::= ZONE(T). { A = T; }

%type col_name_keyword {struct parser_token}
col_name_keyword(A) ::= BETWEEN(T). { A = T; }
col_name_keyword(A) ::= BIGINT(T). { A = T; }
col_name_keyword(A) ::= BIT(T). { A = T; }
col_name_keyword(A) ::= BOOLEAN(T). { A = T; }
col_name_keyword(A) ::= CHAR(T). { A = T; }
col_name_keyword(A) ::= CHARACTER(T). { A = T; }
col_name_keyword(A) ::= COALESCE(T). { A = T; }
col_name_keyword(A) ::= DEC(T). { A = T; }
col_name_keyword(A) ::= DECIMAL(T). { A = T; }
col_name_keyword(A) ::= EXISTS(T). { A = T; }
col_name_keyword(A) ::= EXTRACT(T). { A = T; }
col_name_keyword(A) ::= FLOAT(T). { A = T; }
col_name_keyword(A) ::= GREATEST(T). { A = T; }
col_name_keyword(A) ::= GROUPING(T). { A = T; }
col_name_keyword(A) ::= INOUT(T). { A = T; }
col_name_keyword(A) ::= INT(T). { A = T; }
col_name_keyword(A) ::= INTEGER(T). { A = T; }
col_name_keyword(A) ::= INTERVAL(T). { A = T; }
col_name_keyword(A) ::= LEAST(T). { A = T; }
col_name_keyword(A) ::= NATIONAL(T). { A = T; }
col_name_keyword(A) ::= NCHAR(T). { A = T; }
col_name_keyword(A) ::= NONE(T). { A = T; }
col_name_keyword(A) ::= NORMALIZE(T). { A = T; }
col_name_keyword(A) ::= NULLIF(T). { A = T; }
col_name_keyword(A) ::= NUMERIC(T). { A = T; }
col_name_keyword(A) ::= OUT(T). { A = T; }
col_name_keyword(A) ::= OVERLAY(T). { A = T; }
col_name_keyword(A) ::= POSITION(T). { A = T; }
col_name_keyword(A) ::= PRECISION(T). { A = T; }
col_name_keyword(A) ::= REAL(T). { A = T; }
col_name_keyword(A) ::= ROW(T). { A = T; }
col_name_keyword(A) ::= SETOF(T). { A = T; }
col_name_keyword(A) ::= SMALLINT(T). { A = T; }
col_name_keyword(A) ::= SUBSTRING(T). { A = T; }
col_name_keyword(A) ::= TIME(T). { A = T; }
col_name_keyword(A) ::= TIMESTAMP(T). { A = T; }
col_name_keyword(A) ::= TREAT(T). { A = T; }
col_name_keyword(A) ::= TRIM(T). { A = T; }
col_name_keyword(A) ::= VALUES(T). { A = T; }
col_name_keyword(A) ::= VARCHAR(T). { A = T; }
col_name_keyword(A) ::= XMLATTRIBUTES(T). { A = T; }
col_name_keyword(A) ::= XMLCONCAT(T). { A = T; }
col_name_keyword(A) ::= XMLELEMENT(T). { A = T; }
col_name_keyword(A) ::= XMLEXISTS(T). { A = T; }
col_name_keyword(A) ::= XMLFOREST(T). { A = T; }
col_name_keyword(A) ::= XMLNAMESPACES(T). { A = T; }
col_name_keyword(A) ::= XMLPARSE(T). { A = T; }
col_name_keyword(A) ::= XMLPI(T). { A = T; }
col_name_keyword(A) ::= XMLROOT(T). { A = T; }
col_name_keyword(A) ::= XMLSERIALIZE(T). { A = T; }
col_name_keyword(A) ::= XMLTABLE(T). { A = T; }

%type type_func_name_keyword {struct parser_token}
type_func_name_keyword(A) ::= AUTHORIZATION(T). { A = T; }
type_func_name_keyword(A) ::= BINARY(T). { A = T; }
type_func_name_keyword(A) ::= COLLATION(T). { A = T; }
type_func_name_keyword(A) ::= CONCURRENTLY(T). { A = T; }
type_func_name_keyword(A) ::= CROSS(T). { A = T; }
type_func_name_keyword(A) ::= CURRENT_SCHEMA(T). { A = T; }
type_func_name_keyword(A) ::= FREEZE(T). { A = T; }
type_func_name_keyword(A) ::= FULL(T). { A = T; }
type_func_name_keyword(A) ::= ILIKE(T). { A = T; }
type_func_name_keyword(A) ::= INNER(T). { A = T; }
type_func_name_keyword(A) ::= IS(T). { A = T; }
type_func_name_keyword(A) ::= ISNULL(T). { A = T; }
type_func_name_keyword(A) ::= JOIN(T). { A = T; }
type_func_name_keyword(A) ::= LEFT(T). { A = T; }
type_func_name_keyword(A) ::= LIKE(T). { A = T; }
type_func_name_keyword(A) ::= NATURAL(T). { A = T; }
type_func_name_keyword(A) ::= NOTNULL(T). { A = T; }
type_func_name_keyword(A) ::= OUTER(T). { A = T; }
type_func_name_keyword(A) ::= OVERLAPS(T). { A = T; }
type_func_name_keyword(A) ::= RIGHT(T). { A = T; }
type_func_name_keyword(A) ::= SIMILAR(T). { A = T; }
type_func_name_keyword(A) ::= TABLESAMPLE(T). { A = T; }
type_func_name_keyword(A) ::= VERBOSE(T). { A = T; }

%type reserved_keyword {struct parser_token}
reserved_keyword(A) ::= ALL(T). { A = T; }
reserved_keyword(A) ::= ANALYSE(T). { A = T; }
reserved_keyword(A) ::= ANALYZE(T). { A = T; }
reserved_keyword(A) ::= AND(T). { A = T; }
reserved_keyword(A) ::= ANY(T). { A = T; }
reserved_keyword(A) ::= ARRAY(T). { A = T; }
reserved_keyword(A) ::= AS(T). { A = T; }
reserved_keyword(A) ::= ASC(T). { A = T; }
reserved_keyword(A) ::= ASYMMETRIC(T). { A = T; }
reserved_keyword(A) ::= BOTH(T). { A = T; }
reserved_keyword(A) ::= CASE(T). { A = T; }
reserved_keyword(A) ::= CAST(T). { A = T; }
reserved_keyword(A) ::= CHECK(T). { A = T; }
reserved_keyword(A) ::= COLLATE(T). { A = T; }
reserved_keyword(A) ::= COLUMN(T). { A = T; }
reserved_keyword(A) ::= CONSTRAINT(T). { A = T; }
reserved_keyword(A) ::= CREATE(T). { A = T; }
reserved_keyword(A) ::= CURRENT_CATALOG(T). { A = T; }
reserved_keyword(A) ::= CURRENT_DATE(T). { A = T; }
reserved_keyword(A) ::= CURRENT_ROLE(T). { A = T; }
reserved_keyword(A) ::= CURRENT_TIME(T). { A = T; }
reserved_keyword(A) ::= CURRENT_TIMESTAMP(T). { A = T; }
reserved_keyword(A) ::= CURRENT_USER(T). { A = T; }
reserved_keyword(A) ::= DEFAULT(T). { A = T; }
reserved_keyword(A) ::= DEFERRABLE(T). { A = T; }
reserved_keyword(A) ::= DESC(T). { A = T; }
reserved_keyword(A) ::= DISTINCT(T). { A = T; }
reserved_keyword(A) ::= DO(T). { A = T; }
reserved_keyword(A) ::= ELSE(T). { A = T; }
reserved_keyword(A) ::= END(T). { A = T; }
reserved_keyword(A) ::= EXCEPT(T). { A = T; }
reserved_keyword(A) ::= FALSE(T). { A = T; }
reserved_keyword(A) ::= FETCH(T). { A = T; }
reserved_keyword(A) ::= FOR(T). { A = T; }
reserved_keyword(A) ::= FOREIGN(T). { A = T; }
reserved_keyword(A) ::= FROM(T). { A = T; }
reserved_keyword(A) ::= GRANT(T). { A = T; }
reserved_keyword(A) ::= GROUP(T). { A = T; }
reserved_keyword(A) ::= HAVING(T). { A = T; }
reserved_keyword(A) ::= IN(T). { A = T; }
reserved_keyword(A) ::= INITIALLY(T). { A = T; }
reserved_keyword(A) ::= INTERSECT(T). { A = T; }
reserved_keyword(A) ::= INTO(T). { A = T; }
reserved_keyword(A) ::= LATERAL(T). { A = T; }
reserved_keyword(A) ::= LEADING(T). { A = T; }
reserved_keyword(A) ::= LIMIT(T). { A = T; }
reserved_keyword(A) ::= LOCALTIME(T). { A = T; }
reserved_keyword(A) ::= LOCALTIMESTAMP(T). { A = T; }
reserved_keyword(A) ::= NOT(T). { A = T; }
reserved_keyword(A) ::= NULL(T). { A = T; }
reserved_keyword(A) ::= OFFSET(T). { A = T; }
reserved_keyword(A) ::= ON(T). { A = T; }
reserved_keyword(A) ::= ONLY(T). { A = T; }
reserved_keyword(A) ::= OR(T). { A = T; }
reserved_keyword(A) ::= ORDER(T). { A = T; }
reserved_keyword(A) ::= PLACING(T). { A = T; }
reserved_keyword(A) ::= PRIMARY(T). { A = T; }
reserved_keyword(A) ::= REFERENCES(T). { A = T; }
reserved_keyword(A) ::= RETURNING(T). { A = T; }
reserved_keyword(A) ::= SELECT(T). { A = T; }
reserved_keyword(A) ::= SESSION_USER(T). { A = T; }
reserved_keyword(A) ::= SOME(T). { A = T; }
reserved_keyword(A) ::= SYMMETRIC(T). { A = T; }
reserved_keyword(A) ::= TABLE(T). { A = T; }
reserved_keyword(A) ::= THEN(T). { A = T; }
reserved_keyword(A) ::= TO(T). { A = T; }
reserved_keyword(A) ::= TRAILING(T). { A = T; }
reserved_keyword(A) ::= TRUE(T). { A = T; }
reserved_keyword(A) ::= UNION(T). { A = T; }
reserved_keyword(A) ::= UNIQUE(T). { A = T; }
reserved_keyword(A) ::= USER(T). { A = T; }
reserved_keyword(A) ::= USING(T). { A = T; }
reserved_keyword(A) ::= VARIADIC(T). { A = T; }
reserved_keyword(A) ::= WHEN(T). { A = T; }
reserved_keyword(A) ::= WHERE(T). { A = T; }
reserved_keyword(A) ::= WINDOW(T). { A = T; }
reserved_keyword(A) ::= WITH(T). { A = T; }

%type bare_label_keyword {struct parser_token}
bare_label_keyword(A) ::= ABORT(T). { A = T; }
bare_label_keyword(A) ::= ABSOLUTE(T). { A = T; }
bare_label_keyword(A) ::= ACCESS(T). { A = T; }
bare_label_keyword(A) ::= ACTION(T). { A = T; }
bare_label_keyword(A) ::= ADD(T). { A = T; }
bare_label_keyword(A) ::= ADMIN(T). { A = T; }
bare_label_keyword(A) ::= AFTER(T). { A = T; }
bare_label_keyword(A) ::= ALL(T). { A = T; }
bare_label_keyword(A) ::= ALTER(T). { A = T; }
bare_label_keyword(A) ::= ALWAYS(T). { A = T; }
bare_label_keyword(A) ::= ANALYSE(T). { A = T; }
bare_label_keyword(A) ::= ANALYZE(T). { A = T; }
bare_label_keyword(A) ::= AND(T). { A = T; }
bare_label_keyword(A) ::= ANY(T). { A = T; }
bare_label_keyword(A) ::= ASC(T). { A = T; }
bare_label_keyword(A) ::= ASENSITIVE(T). { A = T; }
bare_label_keyword(A) ::= ASYMMETRIC(T). { A = T; }
bare_label_keyword(A) ::= AT(T). { A = T; }
bare_label_keyword(A) ::= ATOMIC(T). { A = T; }
bare_label_keyword(A) ::= AUTHORIZATION(T). { A = T; }
bare_label_keyword(A) ::= BACKWARD(T). { A = T; }
bare_label_keyword(A) ::= BEFORE(T). { A = T; }
bare_label_keyword(A) ::= BEGIN(T). { A = T; }
bare_label_keyword(A) ::= BETWEEN(T). { A = T; }
bare_label_keyword(A) ::= BIGINT(T). { A = T; }
bare_label_keyword(A) ::= BINARY(T). { A = T; }
bare_label_keyword(A) ::= BIT(T). { A = T; }
bare_label_keyword(A) ::= BOOLEAN(T). { A = T; }
bare_label_keyword(A) ::= BOTH(T). { A = T; }
bare_label_keyword(A) ::= BY(T). { A = T; }
bare_label_keyword(A) ::= CACHE(T). { A = T; }
bare_label_keyword(A) ::= CALL(T). { A = T; }
bare_label_keyword(A) ::= CALLED(T). { A = T; }
bare_label_keyword(A) ::= CASCADE(T). { A = T; }
bare_label_keyword(A) ::= CASCADED(T). { A = T; }
bare_label_keyword(A) ::= CASE(T). { A = T; }
bare_label_keyword(A) ::= CAST(T). { A = T; }
bare_label_keyword(A) ::= CATALOG(T). { A = T; }
bare_label_keyword(A) ::= CHAIN(T). { A = T; }
bare_label_keyword(A) ::= CHARACTERISTICS(T). { A = T; }
bare_label_keyword(A) ::= CHECK(T). { A = T; }
bare_label_keyword(A) ::= CHECKPOINT(T). { A = T; }
bare_label_keyword(A) ::= CLOSE(T). { A = T; }
bare_label_keyword(A) ::= CLUSTER(T). { A = T; }
bare_label_keyword(A) ::= COALESCE(T). { A = T; }
bare_label_keyword(A) ::= COLLATE(T). { A = T; }
bare_label_keyword(A) ::= COLLATION(T). { A = T; }
bare_label_keyword(A) ::= COLUMN(T). { A = T; }
bare_label_keyword(A) ::= COMMENT(T). { A = T; }
bare_label_keyword(A) ::= COMMENTS(T). { A = T; }
bare_label_keyword(A) ::= COMMIT(T). { A = T; }
bare_label_keyword(A) ::= COMMITTED(T). { A = T; }
bare_label_keyword(A) ::= COMPRESSION(T). { A = T; }
bare_label_keyword(A) ::= CONCURRENTLY(T). { A = T; }
bare_label_keyword(A) ::= CONFLICT(T). { A = T; }
bare_label_keyword(A) ::= CONNECTION(T). { A = T; }
bare_label_keyword(A) ::= CONSTRAINT(T). { A = T; }
bare_label_keyword(A) ::= CONSTRAINTS(T). { A = T; }
bare_label_keyword(A) ::= CONTINUE(T). { A = T; }
bare_label_keyword(A) ::= COPY(T). { A = T; }
bare_label_keyword(A) ::= COST(T). { A = T; }
bare_label_keyword(A) ::= CROSS(T). { A = T; }
bare_label_keyword(A) ::= CSV(T). { A = T; }
bare_label_keyword(A) ::= CUBE(T). { A = T; }
bare_label_keyword(A) ::= CURRENT(T). { A = T; }
bare_label_keyword(A) ::= CURRENT_CATALOG(T). { A = T; }
bare_label_keyword(A) ::= CURRENT_DATE(T). { A = T; }
bare_label_keyword(A) ::= CURRENT_ROLE(T). { A = T; }
bare_label_keyword(A) ::= CURRENT_SCHEMA(T). { A = T; }
bare_label_keyword(A) ::= CURRENT_TIME(T). { A = T; }
bare_label_keyword(A) ::= CURRENT_TIMESTAMP(T). { A = T; }
bare_label_keyword(A) ::= CURRENT_USER(T). { A = T; }
bare_label_keyword(A) ::= CURSOR(T). { A = T; }
bare_label_keyword(A) ::= CYCLE(T). { A = T; }
bare_label_keyword(A) ::= DATA(T). { A = T; }
bare_label_keyword(A) ::= DATABASE(T). { A = T; }
bare_label_keyword(A) ::= DEALLOCATE(T). { A = T; }
bare_label_keyword(A) ::= DEC(T). { A = T; }
bare_label_keyword(A) ::= DECIMAL(T). { A = T; }
bare_label_keyword(A) ::= DECLARE(T). { A = T; }
bare_label_keyword(A) ::= DEFAULT(T). { A = T; }
bare_label_keyword(A) ::= DEFAULTS(T). { A = T; }
bare_label_keyword(A) ::= DEFERRABLE(T). { A = T; }
bare_label_keyword(A) ::= DEFERRED(T). { A = T; }
bare_label_keyword(A) ::= DEFINER(T). { A = T; }
bare_label_keyword(A) ::= DELETE(T). { A = T; }
bare_label_keyword(A) ::= DELIMITER(T). { A = T; }
bare_label_keyword(A) ::= DELIMITERS(T). { A = T; }
bare_label_keyword(A) ::= DESC(T). { A = T; }
bare_label_keyword(A) ::= DISABLE(T). { A = T; }
bare_label_keyword(A) ::= DISCARD(T). { A = T; }
bare_label_keyword(A) ::= DISTINCT(T). { A = T; }
bare_label_keyword(A) ::= DO(T). { A = T; }
bare_label_keyword(A) ::= DOCUMENT(T). { A = T; }
bare_label_keyword(A) ::= DOMAIN(T). { A = T; }
bare_label_keyword(A) ::= DOUBLE(T). { A = T; }
bare_label_keyword(A) ::= DROP(T). { A = T; }
bare_label_keyword(A) ::= ELSE(T). { A = T; }
bare_label_keyword(A) ::= ENABLE(T). { A = T; }
bare_label_keyword(A) ::= ENCODING(T). { A = T; }
bare_label_keyword(A) ::= ENCRYPTED(T). { A = T; }
bare_label_keyword(A) ::= END(T). { A = T; }
bare_label_keyword(A) ::= ENUM(T). { A = T; }
bare_label_keyword(A) ::= ESCAPE(T). { A = T; }
bare_label_keyword(A) ::= EXCLUDE(T). { A = T; }
bare_label_keyword(A) ::= EXCLUDING(T). { A = T; }
bare_label_keyword(A) ::= EXCLUSIVE(T). { A = T; }
bare_label_keyword(A) ::= EXECUTE(T). { A = T; }
bare_label_keyword(A) ::= EXISTS(T). { A = T; }
bare_label_keyword(A) ::= EXPLAIN(T). { A = T; }
bare_label_keyword(A) ::= EXPRESSION(T). { A = T; }
bare_label_keyword(A) ::= EXTENSION(T). { A = T; }
bare_label_keyword(A) ::= EXTERNAL(T). { A = T; }
bare_label_keyword(A) ::= EXTRACT(T). { A = T; }
bare_label_keyword(A) ::= FALSE(T). { A = T; }
bare_label_keyword(A) ::= FIRST(T). { A = T; }
bare_label_keyword(A) ::= FLOAT(T). { A = T; }
bare_label_keyword(A) ::= FOLLOWING(T). { A = T; }
bare_label_keyword(A) ::= FORCE(T). { A = T; }
bare_label_keyword(A) ::= FOREIGN(T). { A = T; }
bare_label_keyword(A) ::= FORWARD(T). { A = T; }
bare_label_keyword(A) ::= FREEZE(T). { A = T; }
bare_label_keyword(A) ::= FULL(T). { A = T; }
bare_label_keyword(A) ::= FUNCTION(T). { A = T; }
bare_label_keyword(A) ::= FUNCTIONS(T). { A = T; }
bare_label_keyword(A) ::= GENERATED(T). { A = T; }
bare_label_keyword(A) ::= GLOBAL(T). { A = T; }
bare_label_keyword(A) ::= GREATEST(T). { A = T; }
bare_label_keyword(A) ::= GROUPING(T). { A = T; }
bare_label_keyword(A) ::= GROUPS(T). { A = T; }
bare_label_keyword(A) ::= HEADER(T). { A = T; }
bare_label_keyword(A) ::= HOLD(T). { A = T; }
bare_label_keyword(A) ::= IDENTITY(T). { A = T; }
bare_label_keyword(A) ::= IF(T). { A = T; }
bare_label_keyword(A) ::= ILIKE(T). { A = T; }
bare_label_keyword(A) ::= IMMEDIATE(T). { A = T; }
bare_label_keyword(A) ::= IMMUTABLE(T). { A = T; }
bare_label_keyword(A) ::= IN(T). { A = T; }
bare_label_keyword(A) ::= INCLUDE(T). { A = T; }
bare_label_keyword(A) ::= INCLUDING(T). { A = T; }
bare_label_keyword(A) ::= INCREMENT(T). { A = T; }
bare_label_keyword(A) ::= INDEX(T). { A = T; }
bare_label_keyword(A) ::= INDEXES(T). { A = T; }
bare_label_keyword(A) ::= INHERIT(T). { A = T; }
bare_label_keyword(A) ::= INHERITS(T). { A = T; }
bare_label_keyword(A) ::= INITIALLY(T). { A = T; }
bare_label_keyword(A) ::= INNER(T). { A = T; }
bare_label_keyword(A) ::= INOUT(T). { A = T; }
bare_label_keyword(A) ::= INPUT(T). { A = T; }
bare_label_keyword(A) ::= INSENSITIVE(T). { A = T; }
bare_label_keyword(A) ::= INSERT(T). { A = T; }
bare_label_keyword(A) ::= INT(T). { A = T; }
bare_label_keyword(A) ::= INTEGER(T). { A = T; }
bare_label_keyword(A) ::= INTERVAL(T). { A = T; }
bare_label_keyword(A) ::= INVOKER(T). { A = T; }
bare_label_keyword(A) ::= IS(T). { A = T; }
bare_label_keyword(A) ::= ISOLATION(T). { A = T; }
bare_label_keyword(A) ::= JOIN(T). { A = T; }
bare_label_keyword(A) ::= KEY(T). { A = T; }
bare_label_keyword(A) ::= LANGUAGE(T). { A = T; }
bare_label_keyword(A) ::= LAST(T). { A = T; }
bare_label_keyword(A) ::= LATERAL(T). { A = T; }
bare_label_keyword(A) ::= LEADING(T). { A = T; }
bare_label_keyword(A) ::= LEAKPROOF(T). { A = T; }
bare_label_keyword(A) ::= LEAST(T). { A = T; }
bare_label_keyword(A) ::= LEFT(T). { A = T; }
bare_label_keyword(A) ::= LEVEL(T). { A = T; }
bare_label_keyword(A) ::= LIKE(T). { A = T; }
bare_label_keyword(A) ::= LISTEN(T). { A = T; }
bare_label_keyword(A) ::= LOCAL(T). { A = T; }
bare_label_keyword(A) ::= LOCALTIME(T). { A = T; }
bare_label_keyword(A) ::= LOCALTIMESTAMP(T). { A = T; }
bare_label_keyword(A) ::= LOCATION(T). { A = T; }
bare_label_keyword(A) ::= LOCK(T). { A = T; }
bare_label_keyword(A) ::= LOCKED(T). { A = T; }
bare_label_keyword(A) ::= LOGGED(T). { A = T; }
bare_label_keyword(A) ::= MATCH(T). { A = T; }
bare_label_keyword(A) ::= MATERIALIZED(T). { A = T; }
bare_label_keyword(A) ::= MAXVALUE(T). { A = T; }
bare_label_keyword(A) ::= METHOD(T). { A = T; }
bare_label_keyword(A) ::= MINVALUE(T). { A = T; }
bare_label_keyword(A) ::= MODE(T). { A = T; }
bare_label_keyword(A) ::= MOVE(T). { A = T; }
bare_label_keyword(A) ::= NAMES(T). { A = T; }
bare_label_keyword(A) ::= NATIONAL(T). { A = T; }
bare_label_keyword(A) ::= NATURAL(T). { A = T; }
bare_label_keyword(A) ::= NCHAR(T). { A = T; }
bare_label_keyword(A) ::= NEXT(T). { A = T; }
bare_label_keyword(A) ::= NFC(T). { A = T; }
bare_label_keyword(A) ::= NFD(T). { A = T; }
bare_label_keyword(A) ::= NFKC(T). { A = T; }
bare_label_keyword(A) ::= NFKD(T). { A = T; }
bare_label_keyword(A) ::= NO(T). { A = T; }
bare_label_keyword(A) ::= NONE(T). { A = T; }
bare_label_keyword(A) ::= NORMALIZE(T). { A = T; }
bare_label_keyword(A) ::= NORMALIZED(T). { A = T; }
bare_label_keyword(A) ::= NOT(T). { A = T; }
bare_label_keyword(A) ::= NOTHING(T). { A = T; }
bare_label_keyword(A) ::= NOTIFY(T). { A = T; }
bare_label_keyword(A) ::= NOWAIT(T). { A = T; }
bare_label_keyword(A) ::= NULL(T). { A = T; }
bare_label_keyword(A) ::= NULLIF(T). { A = T; }
bare_label_keyword(A) ::= NULLS(T). { A = T; }
bare_label_keyword(A) ::= NUMERIC(T). { A = T; }
bare_label_keyword(A) ::= OF(T). { A = T; }
bare_label_keyword(A) ::= OIDS(T). { A = T; }
bare_label_keyword(A) ::= ONLY(T). { A = T; }
bare_label_keyword(A) ::= OPERATOR(T). { A = T; }
bare_label_keyword(A) ::= OPTION(T). { A = T; }
bare_label_keyword(A) ::= OR(T). { A = T; }
bare_label_keyword(A) ::= ORDINALITY(T). { A = T; }
bare_label_keyword(A) ::= OTHERS(T). { A = T; }
bare_label_keyword(A) ::= OUT(T). { A = T; }
bare_label_keyword(A) ::= OUTER(T). { A = T; }
bare_label_keyword(A) ::= OVERLAY(T). { A = T; }
bare_label_keyword(A) ::= OVERRIDING(T). { A = T; }
bare_label_keyword(A) ::= OWNED(T). { A = T; }
bare_label_keyword(A) ::= OWNER(T). { A = T; }
bare_label_keyword(A) ::= PARALLEL(T). { A = T; }
bare_label_keyword(A) ::= PARTIAL(T). { A = T; }
bare_label_keyword(A) ::= PARTITION(T). { A = T; }
bare_label_keyword(A) ::= PASSWORD(T). { A = T; }
bare_label_keyword(A) ::= PLACING(T). { A = T; }
bare_label_keyword(A) ::= PLANS(T). { A = T; }
bare_label_keyword(A) ::= POSITION(T). { A = T; }
bare_label_keyword(A) ::= PRECEDING(T). { A = T; }
bare_label_keyword(A) ::= PREPARE(T). { A = T; }
bare_label_keyword(A) ::= PREPARED(T). { A = T; }
bare_label_keyword(A) ::= PRESERVE(T). { A = T; }
bare_label_keyword(A) ::= PRIMARY(T). { A = T; }
bare_label_keyword(A) ::= PRIOR(T). { A = T; }
bare_label_keyword(A) ::= PRIVILEGES(T). { A = T; }
bare_label_keyword(A) ::= PROCEDURE(T). { A = T; }
bare_label_keyword(A) ::= PROGRAM(T). { A = T; }
bare_label_keyword(A) ::= QUOTE(T). { A = T; }
bare_label_keyword(A) ::= RANGE(T). { A = T; }
bare_label_keyword(A) ::= READ(T). { A = T; }
bare_label_keyword(A) ::= REAL(T). { A = T; }
bare_label_keyword(A) ::= REASSIGN(T). { A = T; }
bare_label_keyword(A) ::= RECURSIVE(T). { A = T; }
bare_label_keyword(A) ::= REFERENCES(T). { A = T; }
bare_label_keyword(A) ::= REFRESH(T). { A = T; }
bare_label_keyword(A) ::= REINDEX(T). { A = T; }
bare_label_keyword(A) ::= RELATIVE(T). { A = T; }
bare_label_keyword(A) ::= RELEASE(T). { A = T; }
bare_label_keyword(A) ::= RENAME(T). { A = T; }
bare_label_keyword(A) ::= REPEATABLE(T). { A = T; }
bare_label_keyword(A) ::= REPLACE(T). { A = T; }
bare_label_keyword(A) ::= REPLICA(T). { A = T; }
bare_label_keyword(A) ::= RESET(T). { A = T; }
bare_label_keyword(A) ::= RESTART(T). { A = T; }
bare_label_keyword(A) ::= RESTRICT(T). { A = T; }
bare_label_keyword(A) ::= RETURN(T). { A = T; }
bare_label_keyword(A) ::= RETURNS(T). { A = T; }
bare_label_keyword(A) ::= REVOKE(T). { A = T; }
bare_label_keyword(A) ::= RIGHT(T). { A = T; }
bare_label_keyword(A) ::= ROLE(T). { A = T; }
bare_label_keyword(A) ::= ROLLBACK(T). { A = T; }
bare_label_keyword(A) ::= ROLLUP(T). { A = T; }
bare_label_keyword(A) ::= ROUTINE(T). { A = T; }
bare_label_keyword(A) ::= ROUTINES(T). { A = T; }
bare_label_keyword(A) ::= ROW(T). { A = T; }
bare_label_keyword(A) ::= ROWS(T). { A = T; }
bare_label_keyword(A) ::= SAVEPOINT(T). { A = T; }
bare_label_keyword(A) ::= SCHEMA(T). { A = T; }
bare_label_keyword(A) ::= SCHEMAS(T). { A = T; }
bare_label_keyword(A) ::= SCROLL(T). { A = T; }
bare_label_keyword(A) ::= SECURITY(T). { A = T; }
bare_label_keyword(A) ::= SELECT(T). { A = T; }
bare_label_keyword(A) ::= SEQUENCE(T). { A = T; }
bare_label_keyword(A) ::= SEQUENCES(T). { A = T; }
bare_label_keyword(A) ::= SERIALIZABLE(T). { A = T; }
bare_label_keyword(A) ::= SESSION(T). { A = T; }
bare_label_keyword(A) ::= SESSION_USER(T). { A = T; }
bare_label_keyword(A) ::= SET(T). { A = T; }
bare_label_keyword(A) ::= SETOF(T). { A = T; }
bare_label_keyword(A) ::= SETS(T). { A = T; }
bare_label_keyword(A) ::= SHARE(T). { A = T; }
bare_label_keyword(A) ::= SHOW(T). { A = T; }
bare_label_keyword(A) ::= SIMILAR(T). { A = T; }
bare_label_keyword(A) ::= SIMPLE(T). { A = T; }
bare_label_keyword(A) ::= SKIP(T). { A = T; }
bare_label_keyword(A) ::= SMALLINT(T). { A = T; }
bare_label_keyword(A) ::= SNAPSHOT(T). { A = T; }
bare_label_keyword(A) ::= SOME(T). { A = T; }
bare_label_keyword(A) ::= STABLE(T). { A = T; }
bare_label_keyword(A) ::= START(T). { A = T; }
bare_label_keyword(A) ::= STATISTICS(T). { A = T; }
bare_label_keyword(A) ::= STDIN(T). { A = T; }
bare_label_keyword(A) ::= STDOUT(T). { A = T; }
bare_label_keyword(A) ::= STORAGE(T). { A = T; }
bare_label_keyword(A) ::= STORED(T). { A = T; }
bare_label_keyword(A) ::= STRICT(T). { A = T; }
bare_label_keyword(A) ::= SUBSTRING(T). { A = T; }
bare_label_keyword(A) ::= SYMMETRIC(T). { A = T; }
bare_label_keyword(A) ::= SYSTEM(T). { A = T; }
bare_label_keyword(A) ::= TABLE(T). { A = T; }
bare_label_keyword(A) ::= TABLES(T). { A = T; }
bare_label_keyword(A) ::= TABLESAMPLE(T). { A = T; }
bare_label_keyword(A) ::= TABLESPACE(T). { A = T; }
bare_label_keyword(A) ::= TEMP(T). { A = T; }
bare_label_keyword(A) ::= TEMPLATE(T). { A = T; }
bare_label_keyword(A) ::= TEMPORARY(T). { A = T; }
bare_label_keyword(A) ::= THEN(T). { A = T; }
bare_label_keyword(A) ::= TIES(T). { A = T; }
bare_label_keyword(A) ::= TIME(T). { A = T; }
bare_label_keyword(A) ::= TIMESTAMP(T). { A = T; }
bare_label_keyword(A) ::= TRAILING(T). { A = T; }
bare_label_keyword(A) ::= TRANSACTION(T). { A = T; }
bare_label_keyword(A) ::= TREAT(T). { A = T; }
bare_label_keyword(A) ::= TRIGGER(T). { A = T; }
bare_label_keyword(A) ::= TRIM(T). { A = T; }
bare_label_keyword(A) ::= TRUE(T). { A = T; }
bare_label_keyword(A) ::= TRUNCATE(T). { A = T; }
bare_label_keyword(A) ::= TYPE(T). { A = T; }
bare_label_keyword(A) ::= TYPES(T). { A = T; }
bare_label_keyword(A) ::= UNBOUNDED(T). { A = T; }
bare_label_keyword(A) ::= UNCOMMITTED(T). { A = T; }
bare_label_keyword(A) ::= UNIQUE(T). { A = T; }
bare_label_keyword(A) ::= UNKNOWN(T). { A = T; }
bare_label_keyword(A) ::= UNLISTEN(T). { A = T; }
bare_label_keyword(A) ::= UNLOGGED(T). { A = T; }
bare_label_keyword(A) ::= UNTIL(T). { A = T; }
bare_label_keyword(A) ::= UPDATE(T). { A = T; }
bare_label_keyword(A) ::= USER(T). { A = T; }
bare_label_keyword(A) ::= USING(T). { A = T; }
bare_label_keyword(A) ::= VACUUM(T). { A = T; }
bare_label_keyword(A) ::= VALID(T). { A = T; }
bare_label_keyword(A) ::= VALIDATE(T). { A = T; }
bare_label_keyword(A) ::= VALUE(T). { A = T; }
bare_label_keyword(A) ::= VALUES(T). { A = T; }
bare_label_keyword(A) ::= VARCHAR(T). { A = T; }
bare_label_keyword(A) ::= VARIADIC(T). { A = T; }
bare_label_keyword(A) ::= VERBOSE(T). { A = T; }
bare_label_keyword(A) ::= VIEW(T). { A = T; }
bare_label_keyword(A) ::= VOLATILE(T). { A = T; }
bare_label_keyword(A) ::= WHEN(T). { A = T; }
bare_label_keyword(A) ::= WORK(T). { A = T; }
bare_label_keyword(A) ::= WRITE(T). { A = T; }
bare_label_keyword(A) ::= XMLATTRIBUTES(T). { A = T; }
bare_label_keyword(A) ::= XMLCONCAT(T). { A = T; }
bare_label_keyword(A) ::= XMLELEMENT(T). { A = T; }
bare_label_keyword(A) ::= XMLEXISTS(T). { A = T; }
bare_label_keyword(A) ::= XMLFOREST(T). { A = T; }
bare_label_keyword(A) ::= XMLNAMESPACES(T). { A = T; }
bare_label_keyword(A) ::= XMLPARSE(T). { A = T; }
bare_label_keyword(A) ::= XMLPI(T). { A = T; }
bare_label_keyword(A) ::= XMLROOT(T). { A = T; }
bare_label_keyword(A) ::= XMLSERIALIZE(T). { A = T; }
bare_label_keyword(A) ::= XMLTABLE(T). { A = T; }
bare_label_keyword(A) ::= ZONE(T). { A = T; }
