/*
 * parser/parser_internal.h - between the grammar, the token feeder and the functions that build
 * the tree. Short names without a prefix would be nicer in a grammar, but these are linked into
 * one program with everything else.
 */
#ifndef PARSER_PARSER_INTERNAL_H
#define PARSER_PARSER_INTERNAL_H

#include "parser/ast.h"
#include "parser/parser.h"
#include "parser/scanner.h"

enum {
    /* Entries of the LALR stack. A level of "(1+(1+.." takes three, so AST_DEPTH_MAX is met first
     * by most nestings; the others ("((((", "NOT NOT", "- - -") end here, with the same error. */
    PARSER_STACK_MAX = 1800,
};

/* What the grammar sees of a token. text: identifiers folded, strings decoded, keywords as in the
 * table, numbers and operators as written. It lives in the arena and ends in NUL. */
struct parser_token {
    const char *text;
    uint32_t size;
    int32_t location;
};

struct parser {
    struct arena *arena;
    struct scanner scanner;
    struct diag *diag;
    enum err err;              /* the first failure; nothing is fed after it */
    uint32_t atomic;           /* in BEGIN ATOMIC .. END: 1, and 1 more in each CASE */
    bool unfinished;           /* the error is a syntax error at the token being fed */
    struct scan_token current; /* being fed: the look-ahead of every reduction */
    uint32_t prev_end;         /* end of the token before it */
    int first;                 /* token that the statement begins with; 0: nothing was fed yet */
    bool second;               /* the next token is the second */
    uint32_t param_max;
    struct ast_node *result;
};

/* schema.name or catalog.schema.name */
struct parser_any_name {
    const char *catalog;
    const char *schema;
    const char *name;
    int32_t location;
};

/* The clauses that may follow a query expression. */
struct parser_limit {
    struct ast_node *limit;
    struct ast_node *offset;
    bool with_ties;
    int32_t location;
};

/* What the constraint attributes of one place said. */
enum parser_attribute {
    ATTRIBUTE_DEFERRABLE = 1,
    ATTRIBUTE_NOT_DEFERRABLE = 2,
    ATTRIBUTE_INITIALLY_DEFERRED = 4,
    ATTRIBUTE_INITIALLY_IMMEDIATE = 8,
    ATTRIBUTE_NOT_VALID = 16,
    ATTRIBUTE_NO_INHERIT = 32,
};

/* In grammar.c. */
void *parser__machine(void); /* this thread's */
void parser__machine_start(void *machine, struct parser *p);
void parser__machine_feed(void *machine, int token, struct parser_token value, struct parser *p);

/* keywords.c: the index of a word (folded or not) in the table, -1 if it is none. */
int parser__keyword_find(const char *word, uint32_t size);
int parser__keyword_token(int index); /* grammar token; 0: an ordinary identifier */

/* ---- build.c: how the grammar makes nodes. After a failure they still return something. --------
 */

void parser__fail(struct parser *p, int32_t location, enum err code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* what: "syntax error"; at or near the token being fed */
void parser__fail_here(struct parser *p, const char *what);
/* syntax error at or near the text there */
void parser__fail_syntax(struct parser *p, int32_t location);

void *parser__node(struct parser *p, enum ast_kind kind, size_t size, int32_t location);
#define NEW_AT(p, kind, type, location) \
    ((struct ast_##type *)parser__node(p, kind, sizeof(struct ast_##type), location))
/* Not through NEW_AT: `bool` would be expanded on the way. */
#define NEW(kind, type, location) \
    ((struct ast_##type *)parser__node(p, kind, sizeof(struct ast_##type), location))
/* node is above child (or list): keeps node->depth, enforces AST_DEPTH_MAX. NULL is allowed. */
void parser__above(struct parser *p, void *node, const void *child);
void parser__above_list(struct parser *p, void *node, const struct ast_list *list);
struct ast_node *parser__grouping(
    struct parser *p, enum ast_grouping_kind kind, struct ast_list *list, int32_t location);
/* end NULL: the current row */
struct ast_frame *parser__frame(
    struct parser *p, const struct ast_frame_bound *start, const struct ast_frame_bound *end);

struct ast_list *parser__list(struct parser *p, void *item); /* NULL: an empty list */
struct ast_list *parser__append(struct parser *p, struct ast_list *list, void *item);
struct ast_list *parser__concat(struct parser *p, struct ast_list *list, struct ast_list *more);

struct ast_node *parser__integer(struct parser *p, struct parser_token token);
struct ast_node *parser__numeric(struct parser *p, struct parser_token token);
struct ast_node *parser__string(
    struct parser *p, enum ast_const_kind kind, struct parser_token token);
struct ast_node *parser__word(struct parser *p, const char *text, int32_t location);
struct ast_node *parser__bool_const(struct parser *p, bool value, int32_t location);
struct ast_node *parser__null(struct parser *p, int32_t location);
int32_t parser__int32(struct parser *p, struct parser_token token);
int64_t parser__int64(struct parser *p, struct parser_token token);
struct ast_node *parser__negate(struct parser *p, struct ast_node *expr, int32_t location);
struct ast_node *parser__param(struct parser *p, struct parser_token token);
/* A privilege of GRANT; columns behind it are refused. */
struct ast_node *parser__privilege(
    struct parser *p, struct parser_token name, const struct ast_list *columns);
struct ast_node *parser__name(struct parser *p, struct parser_token token);

struct ast_node *parser__op(struct parser *p, const char *name, struct ast_node *left,
    struct ast_node *right, int32_t location);
struct ast_node *parser__qual_op(
    struct parser *p, struct parser_any_name *name, struct ast_node *left, struct ast_node *right);
struct ast_node *parser__bool(struct parser *p, enum ast_bool_kind kind, struct ast_node *left,
    struct ast_node *right, int32_t location);
struct ast_node *parser__column(
    struct parser *p, struct parser_token first, struct ast_list *indirection);
/* expr[..].field .. */
struct ast_node *parser__indirect(
    struct parser *p, struct ast_node *expr, struct ast_list *indirection);
struct ast_call *parser__call(
    struct parser *p, struct parser_any_name *name, struct ast_list *args);
/* pg_catalog.name(args), for SQL's special forms */
struct ast_node *parser__special(
    struct parser *p, const char *name, struct ast_list *args, int32_t location);
struct ast_node *parser__list_call(
    struct parser *p, enum ast_list_call_kind kind, struct ast_list *list, int32_t location);
struct ast_node *parser__like(struct parser *p, enum ast_like_kind kind, bool negated,
    struct ast_node *operand, struct ast_node *pattern, struct ast_node *escape, int32_t location);
struct ast_node *parser__is(struct parser *p, enum ast_is_kind kind, bool negated,
    struct ast_node *operand, int32_t location);
struct ast_node *parser__distinct_from(struct parser *p, bool negated, struct ast_node *left,
    struct ast_node *right, int32_t location);
struct ast_node *parser__between(struct parser *p, bool negated, bool symmetric,
    struct ast_node *operand, struct ast_node *low, struct ast_node *high, int32_t location);
/* right is an AST_SUBQUERY or an AST_ROW made of the list */
struct ast_node *parser__in(struct parser *p, bool negated, struct ast_node *left,
    struct ast_node *right, int32_t location);
struct ast_node *parser__any(struct parser *p, const char *op, bool all, struct ast_node *left,
    struct ast_node *right, int32_t location);
struct ast_node *parser__cast(struct parser *p, enum ast_cast_form form, struct ast_node *operand,
    struct ast_type *type, int32_t location);
struct ast_node *parser__row(
    struct parser *p, bool explicit_row, struct ast_list *list, int32_t location);
struct ast_node *parser__sql_value(
    struct parser *p, enum ast_sql_value_kind kind, int32_t precision, int32_t location);
struct ast_node *parser__subquery(
    struct parser *p, struct ast_select *query, bool array, int32_t location);

struct ast_type *parser__type(
    struct parser *p, const char *schema, const char *name, int32_t location);
struct ast_type *parser__float(struct parser *p, struct parser_token *bits, int32_t location);
struct ast_type *parser__generic_type(
    struct parser *p, struct parser_any_name *name, struct ast_list *modifiers);
/* interval: fields | (precision + 1) << 8 | 1 << 16 if a precision was written */
void parser__interval(struct parser *p, struct ast_type *type, int64_t fields);

struct parser_any_name *parser__any_name(struct parser *p, struct parser_token first);
/* attrs: AST_NAME; anything else of an indirection is a syntax error */
struct parser_any_name *parser__any_name_of(
    struct parser *p, struct parser_token first, struct ast_list *attrs);
struct ast_table *parser__table(struct parser *p, struct parser_any_name *name);

/* What an assignment goes to: a column, or a part of one. */
struct ast_node *parser__part_target(
    struct parser *p, struct parser_token name, struct ast_list *indirection);
struct ast_node *parser__target(
    struct parser *p, const char *name, struct ast_node *value, int32_t location);
struct ast_list *parser__multi_assign(
    struct parser *p, struct ast_list *targets, struct ast_node *value);
struct ast_join *parser__join(struct parser *p, enum ast_join_kind kind, struct ast_node *left,
    struct ast_node *right, int32_t location);
struct ast_select *parser__set_operation(struct parser *p, enum ast_set_operation op, bool all,
    struct ast_select *left, struct ast_select *right, int32_t location);
void parser__select_finish(struct parser *p, struct ast_select *select);
struct ast_select *parser__select_clauses(struct parser *p, struct ast_select *select,
    struct ast_with *with, struct ast_list *order, struct parser_limit *limit,
    struct ast_list *locking);
/* A select as a statement: SELECT INTO becomes CREATE TABLE AS. */
struct ast_node *parser__select_statement(struct parser *p, struct ast_select *select);

struct ast_node *parser__option(
    struct parser *p, const char *name, struct ast_node *value, int32_t location);
/* The option that says a routine's body: `head`, and the text from `start` to `end`. */
struct ast_node *parser__body(
    struct parser *p, const char *head, int32_t start, int32_t end, int32_t location);
/* ON UPDATE, ON DELETE of a foreign key. */
struct parser__key_action {
    enum ast_fk_action action;
    struct ast_list *columns; /* SET NULL (..), SET DEFAULT (..) */
};
struct parser__key_actions {
    struct parser__key_action update, delete;
};
void parser__key_actions(struct ast_constraint *constraint, struct parser__key_actions actions);
void parser__constraint_attributes(
    struct parser *p, struct ast_constraint *constraint, int64_t attributes, int32_t location);
struct ast_node *parser__action(
    struct parser *p, enum ast_alter_kind kind, const char *name, int32_t location);
struct ast_node *parser__rename(struct parser *p, enum ast_object object, bool if_exists,
    struct ast_table *table, const char *old_name, const char *new_name, int32_t location);
struct ast_set *parser__set(
    struct parser *p, enum ast_set_kind kind, const char *name, struct ast_list *values);
struct ast_node *parser__transaction(
    struct parser *p, enum ast_transaction_kind kind, int32_t location);
struct ast_node *parser__fetch(
    struct parser *p, enum ast_fetch_direction direction, int64_t count, const char *name);
void parser__table_alias(
    struct parser *p, struct ast_node *range, struct parser_token alias, struct ast_list *columns);
/* The byte range from start to end in the text. */
void parser__range(
    struct parser *p, int32_t start, int32_t end, int32_t *range_start, int32_t *range_size);
/* CREATE ROLE's words that are no keywords: superuser, nologin .. */
/* An identifier that must be this word here. */
/* params, items: lists of grammar.y's saga_param and saga_item. */
struct ast_node *parser__create_saga(struct parser *p, const char *name, struct ast_list *params,
    struct ast_list *items, int32_t location);
struct ast_node *parser__alter_saga(struct parser *p, int64_t number, struct parser_token action,
    struct parser_token step, int32_t location);
void parser__expect_word(struct parser *p, struct parser_token token, const char *word);
struct ast_node *parser__role_option(struct parser *p, struct parser_token word);
struct ast_node *parser__drop(struct parser *p, enum ast_object object, bool if_exists,
    struct ast_list *names, bool cascade, int32_t location);
/* AST_NAME to AST_TABLE */
struct ast_list *parser__names_to_tables(struct parser *p, struct ast_list *names);
struct ast_node *parser__alter(struct parser *p, enum ast_object object, bool if_exists,
    struct ast_table *table, struct ast_list *actions, int32_t location);
/* column: of COMMENT ON COLUMN; then table is NULL. */
struct ast_node *parser__comment(struct parser *p, enum ast_object object, struct ast_table *table,
    struct parser_any_name *column, const char *text, int32_t location);
struct ast_transaction_modes parser__modes(
    struct ast_transaction_modes first, struct ast_transaction_modes more);
struct ast_node *parser__explain(
    struct parser *p, struct ast_list *options, struct ast_node *statement, int32_t location);
struct ast_node *parser__vacuum(struct parser *p, bool vacuum, struct ast_list *options,
    struct ast_list *tables, int32_t location);
/* A subquery in FROM without an alias is an error. */
void parser__need_alias(struct parser *p, const struct ast_range_subquery *range);
/* Refuses names that a new role cannot have. */
void parser__role_id(struct parser *p, struct parser_token name);
char *parser__upper(struct parser *p, const char *words);
struct ast_node *parser__notify(struct parser *p, enum ast_notify_kind kind, const char *channel,
    const char *payload, int32_t location);

#endif /* PARSER_PARSER_INTERNAL_H */
