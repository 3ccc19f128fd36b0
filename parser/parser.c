#include "parser/parser.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "parser/grammar.h"
#include "parser/parser_internal.h"

/*
 * The feeder: scans a token, gives it the grammar's name and value, and pushes it into the LALR
 * machine; one statement at a time, so the grammar never sees a semicolon.
 *
 *   F1. After the first failure nothing is fed any more: Lemon's machine is not in a state to go
 *       on, and actions may have returned half-made nodes.
 *   F2. p->current is the token being fed: every reduction that happens now has it as look-ahead.
 *   F3. NOT, NULLS and WITH are looked behind before they are fed (one token, scanned twice).
 */

enum {
    TEXT_SIZE_MAX = 1 << 30, /* locations are int32_t */
    MODE_STATEMENTS = 0,
};

/* ---- errors ---------------------------------------------------------------------------------- */

uint32_t
parser_position(const char *text, size_t size, int32_t location)
{
    if (location < 0) {
        return 0;
    }
    size_t end = (size_t)location < size ? (size_t)location : size;
    uint32_t characters = 1;
    for (size_t i = 0; i < end; i++) {
        characters += ((uint8_t)text[i] & 0xC0) != 0x80;
    }
    return characters;
}

static void
fail_at(struct parser *p, int32_t location)
{
    diag_position(p->diag, parser_position(p->scanner.text, p->scanner.size, location));
}

/* what: "syntax error", "unterminated quoted string". The token goes into the message as written.
 */
static enum err
fail_near(struct parser *p, const char *what, const struct scan_token *token)
{
    if (token->start >= p->scanner.size) {
        (void)diag_set(p->diag, ERR_SYNTAX, "%s at end of input", what);
    } else {
        uint32_t size = token->end - token->start;
        /* The diag cuts it anyway; do not format a megabyte for that. */
        size = size > DIAG_TEXT_MAX ? DIAG_TEXT_MAX : size;
        (void)diag_set(p->diag, ERR_SYNTAX, "%s at or near \"%.*s\"", what, (int)size,
            p->scanner.text + token->start);
    }
    fail_at(p, (int32_t)token->start);
    p->err = ERR_SYNTAX;
    return p->err;
}

void
parser__fail(struct parser *p, int32_t location, enum err code, const char *fmt, ...)
{
    if (p->err != ERR_OK) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    char words[DIAG_TEXT_MAX];
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    p->err = diag_set(p->diag, code, "%s", words);
    if (location >= 0) {
        fail_at(p, location);
    }
}

void
parser__fail_here(struct parser *p, const char *what)
{
    if (p->err == ERR_OK) {
        (void)fail_near(p, what, &p->current);
    }
}

void
parser__fail_syntax(struct parser *p, int32_t location)
{
    if (p->err != ERR_OK) {
        return;
    }
    struct scanner again = p->scanner;
    struct scan_token token;
    again.at = (uint32_t)location;
    scanner_next(&again, &token);
    (void)fail_near(p, "syntax error", &token);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static int
symbol_token(char symbol)
{
    switch (symbol) {
    case ',':
        return TK_COMMA;
    case '(':
        return TK_LP;
    case ')':
        return TK_RP;
    case '[':
        return TK_LB;
    case ']':
        return TK_RB;
    case '.':
        return TK_DOT;
    case ':':
        return TK_COLON;
    case '+':
        return TK_PLUS;
    case '-':
        return TK_MINUS;
    case '*':
        return TK_STAR;
    case '/':
        return TK_SLASH;
    case '%':
        return TK_PERCENT;
    case '^':
        return TK_CARET;
    case '<':
        return TK_LT;
    case '>':
        return TK_GT;
    case '=':
        return TK_EQ;
    default:
        return 0;
    }
}

/* The grammar's token of the word after this one, looked up without moving on; 0 if it is none. */
static int
peek_keyword(const struct parser *p)
{
    struct scanner ahead = p->scanner;
    struct scan_token token;
    scanner_next(&ahead, &token);
    if (token.kind != SCAN_WORD) {
        return 0;
    }
    int keyword = parser__keyword_find(ahead.text + token.start, token.end - token.start);
    return keyword < 0 ? 0 : parser__keyword_token(keyword);
}

/* SPLIT AT ( .. ): nothing else has a parenthesis there. */
static bool
splits(const struct parser *p)
{
    struct scanner ahead = p->scanner;
    struct scan_token at;
    struct scan_token paren;
    scanner_next(&ahead, &at);
    scanner_next(&ahead, &paren);
    return peek_keyword(p) == TK_AT && paren.kind == SCAN_SYMBOL && paren.symbol == '(';
}

/* Words of ours that are keywords in one place only, so that everywhere else they are names, and
 * what is wrong there is told as PostgreSQL tells it. */
static int
own_word(const struct parser *p, const char *word)
{
    bool ddl = p->first == TK_CREATE || p->first == TK_ALTER || p->first == TK_DROP;
    if (p->second && (ddl || p->first == TK_START) && strcmp(word, "saga") == 0) {
        return TK_SAGA;
    }
    return p->first == TK_ALTER && strcmp(word, "split") == 0 && splits(p) ? TK_SPLIT : TK_IDENT;
}

static int
word_token(struct parser *p, struct parser_token *value)
{
    const struct scan_token *token = &p->current;
    const char *word = p->scanner.text + token->start;
    int keyword = parser__keyword_find(word, token->end - token->start);
    int name = keyword < 0 ? 0 : parser__keyword_token(keyword);
    if (name == 0) {
        value->text = scanner_decode_ident(&p->scanner, token, p->arena);
        return own_word(p, value->text);
    }
    size_t count;
    value->text = parser_keywords(&count)[keyword].word;
    switch (name) {
    case TK_NOT:
        switch (peek_keyword(p)) {
        case TK_BETWEEN:
        case TK_IN:
        case TK_LIKE:
        case TK_ILIKE:
        case TK_SIMILAR:
            return TK_NOT_LA;
        default:
            return TK_NOT;
        }
    case TK_NULLS:
        switch (peek_keyword(p)) {
        case TK_FIRST:
        case TK_LAST:
            return TK_NULLS_LA;
        default:
            return TK_NULLS;
        }
    case TK_WITH:
        switch (peek_keyword(p)) {
        case TK_TIME:
        case TK_ORDINALITY:
            return TK_WITH_LA;
        default:
            return TK_WITH;
        }
    default:
        return name;
    }
}

static int
string_token(struct parser *p, struct parser_token *value)
{
    int32_t location;
    enum err err = scanner_decode_string(
        &p->scanner, &p->current, p->arena, &value->text, &value->size, &location, p->diag);
    if (err != ERR_OK) {
        p->err = err;
        if (location >= 0) {
            fail_at(p, location);
        }
        return 0;
    }
    if (p->current.kind == SCAN_BIT_STRING || p->current.kind == SCAN_HEX_STRING) {
        bool hex = p->current.kind == SCAN_HEX_STRING;
        size_t good = strspn(value->text, hex ? "0123456789abcdefABCDEF" : "01");
        if (good != value->size) {
            unsigned length = utf8_sequence(value->text + good, value->size - good);
            parser__fail(p, (int32_t)p->current.start, ERR_INVALID_TEXT,
                "\"%.*s\" is not a valid %s digit", (int)length, value->text + good,
                hex ? "hexadecimal" : "binary");
            return 0;
        }
        return hex ? TK_XCONST : TK_BCONST;
    }
    return TK_SCONST;
}

/* The grammar's name and value of p->current; 0 after p->err was set. */
static int
next_token(struct parser *p, struct parser_token *value)
{
    const struct scan_token *token = &p->current;
    *value =
        (struct parser_token){.size = token->end - token->start, .location = (int32_t)token->start};
    int name = 0;
    switch (token->kind) {
    case SCAN_WORD:
        return word_token(p, value);
    case SCAN_QUOTED_IDENT:
        value->text = scanner_decode_ident(&p->scanner, token, p->arena);
        return TK_IDENT;
    case SCAN_STRING:
    case SCAN_ESCAPE_STRING:
    case SCAN_DOLLAR_STRING:
    case SCAN_BIT_STRING:
    case SCAN_HEX_STRING:
        return string_token(p, value);
    case SCAN_UNICODE_STRING:
    case SCAN_UNICODE_IDENT:
        parser__fail(p, value->location, ERR_FEATURE_NOT_SUPPORTED,
            "strings and identifiers with U& are not supported");
        return 0;
    case SCAN_SYMBOL:
        name = symbol_token(token->symbol);
        break;
    case SCAN_INTEGER:
        name = TK_ICONST;
        break;
    case SCAN_NUMERIC:
        name = TK_FCONST;
        break;
    case SCAN_PARAM:
        name = TK_PARAM;
        break;
    case SCAN_OPERATOR:
        name = TK_OP;
        break;
    case SCAN_TYPECAST:
        name = TK_TYPECAST;
        break;
    case SCAN_COLON_EQUALS:
        name = TK_COLON_EQUALS;
        break;
    case SCAN_EQUALS_GREATER:
        name = TK_EQUALS_GREATER;
        break;
    case SCAN_LESS_EQUALS:
        name = TK_LE;
        break;
    case SCAN_GREATER_EQUALS:
        name = TK_GE;
        break;
    case SCAN_NOT_EQUALS:
        name = TK_NE;
        break;
    case SCAN_DOT_DOT:
    case SCAN_ILLEGAL:
    case SCAN_END:
        break;
    case SCAN_ERROR:
        (void)fail_near(p, scan_error_text(token->error), token);
        return 0;
    }
    if (name == 0) {
        (void)fail_near(p, "syntax error", token);
    } else if (token->kind != SCAN_SYMBOL) {
        value->text = arena_strndup(p->arena, p->scanner.text + token->start, value->size);
    }
    return name;
}

static bool
at_statement_end(const struct scan_token *token)
{
    return token->kind == SCAN_END || (token->kind == SCAN_SYMBOL && token->symbol == ';');
}

/* ---- statements we only know by name --------------------------------------------------------- */

/* Two-word commands of PostgreSQL that the grammar leaves out: CREATE, ALTER or DROP and this. */
static const char *const unsupported_objects[] = {"access method", "aggregate", "cast", "collation",
    "constraint trigger", "conversion", "default conversion", "event trigger", "extension",
    "foreign data wrapper", "foreign table", "language", "large object", "operator", "policy",
    "procedural language", "publication", "rule", "server", "statistics", "subscription",
    "tablespace", "text search", "transform", "trigger", "trusted language", "user mapping"};

/* Reads words, folded and joined by blanks, into `to`. */
static void
read_words(struct scanner *ahead, char *to, size_t to_size, unsigned count)
{
    size_t size = 0;
    to[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        struct scan_token token;
        scanner_next(ahead, &token);
        size_t length = token.end - token.start;
        if (token.kind != SCAN_WORD || size + length + 2 > to_size) {
            break;
        }
        for (size_t k = 0; k < length; k++) {
            char c = ahead->text[token.start + k];
            to[size++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        }
        to[size++] = ' ';
        to[size] = '\0';
    }
}

/* The name of the command that begins at p->current if it is one we refuse whole; else NULL. */
static const char *
unsupported_statement(struct parser *p)
{
    const char *text = p->scanner.text + p->current.start;
    size_t left = p->scanner.size - p->current.start;
    /* The statements that come by the thousand are none of them. */
    if (left >= 6 && (strncasecmp(text, "sel", 3) == 0 || strncasecmp(text, "ins", 3) == 0 ||
                         strncasecmp(text, "upd", 3) == 0 || strncasecmp(text, "del", 3) == 0)) {
        return NULL;
    }
    char words[128];
    struct scanner ahead = p->scanner;
    ahead.at = p->current.start;
    read_words(&ahead, words, sizeof words, 5);

    static const char *const whole[] = {
        "security label ", "import foreign schema ", "load ", "merge into "};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strncmp(words, whole[i], strlen(whole[i])) == 0) {
            return parser__upper(p, arena_strndup(p->arena, whole[i], strlen(whole[i]) - 1));
        }
    }
    const char *verb = strncmp(words, "create ", 7) == 0  ? "create "
                       : strncmp(words, "alter ", 6) == 0 ? "alter "
                       : strncmp(words, "drop ", 5) == 0  ? "drop "
                                                          : NULL;
    if (verb == NULL) {
        return NULL;
    }
    const char *object = words + strlen(verb);
    object += strncmp(object, "or replace ", 11) == 0 ? 11 : 0;
    for (size_t i = 0; i < sizeof unsupported_objects / sizeof unsupported_objects[0]; i++) {
        size_t size = strlen(unsupported_objects[i]);
        if (strncmp(object, unsupported_objects[i], size) == 0 && object[size] == ' ') {
            return parser__upper(p, arena_printf(p->arena, "%s%s", verb, unsupported_objects[i]));
        }
    }
    return NULL;
}

/* A syntax error at a word that PostgreSQL has and our grammar has not, in a statement that we
 * otherwise know: better refused by name than called wrong. */
static bool
unsupported_clause(struct parser *p, uint32_t statement_start)
{
    static const struct {
        const char *statement;
        const char *word;
    } clauses[] = {
        {"create table", "partition"},
        {"create table", "of"},
        {"create schema", "create"},
        {"create type", "("},
        {"create type", "range"},
        {"create type", ""},
        {"alter type", "attribute"},
        {"alter type", "alter"},
        {"alter type", "drop"},
        {"alter table", "attach"},
        {"alter table", "detach"},
        {"alter table", "of"},
        {"alter table", "not"},
        {"alter table", "generated"}, /* ALTER COLUMN SET GENERATED, RESTART, SET INCREMENT .. */
        {"alter table", "restart"},
        {"alter table", "increment"},
        {"alter table", "start"},
        {"alter table", "minvalue"},
        {"alter table", "maxvalue"},
        {"alter table", "cycle"},
        {"alter table", "cache"},
        {"alter database", "tablespace"},
        {"comment on", "operator"},
        {"comment on", "trigger"},
        {"comment on", "rule"},
        {"comment on", "cast"},
        {"grant", "function"},
        {"revoke", "function"},
        {"grant", "procedure"},
        {"revoke", "procedure"},
    };
    struct scanner ahead = p->scanner;
    char words[64];
    char word[32] = "";
    ahead.at = statement_start;
    read_words(&ahead, words, sizeof words, 2);
    uint32_t size = p->current.end - p->current.start;
    if (size + 1 < sizeof word) {
        for (uint32_t i = 0; i < size; i++) {
            char c = p->scanner.text[p->current.start + i];
            word[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        }
        word[size] = '\0';
    }
    for (size_t i = 0; i < sizeof clauses / sizeof clauses[0]; i++) {
        if (strncmp(words, clauses[i].statement, strlen(clauses[i].statement)) == 0 &&
            strcmp(word, clauses[i].word) == 0) {
            p->unfinished = false;
            p->err = ERR_OK;
            parser__fail(p, (int32_t)p->current.start, ERR_FEATURE_NOT_SUPPORTED,
                "this form of %s is not supported", parser__upper(p, clauses[i].statement));
            return true;
        }
    }
    return false;
}

/* Moves to the semicolon that ends the statement; those in parentheses belong to it. */
static enum err
skip_statement(struct parser *p)
{
    uint32_t depth = 0;
    while (p->current.kind != SCAN_END && (depth > 0 || !at_statement_end(&p->current))) {
        if (p->current.kind == SCAN_ERROR) {
            return fail_near(p, scan_error_text(p->current.error), &p->current);
        }
        if (p->current.kind == SCAN_SYMBOL) {
            depth += p->current.symbol == '(';
            depth -= p->current.symbol == ')' && depth > 0;
        }
        p->prev_end = p->current.end;
        scanner_next(&p->scanner, &p->current);
    }
    return ERR_OK;
}

/* ---- driving the machine --------------------------------------------------------------------- */

/* The semicolons of BEGIN ATOMIC .. END are tokens of the one statement. */
static void
note_atomic(struct parser *p, int before, int name)
{
    if (p->atomic == 0) {
        p->atomic = p->first == TK_CREATE && before == TK_BEGIN && name == TK_ATOMIC;
    } else if (name == TK_CASE) {
        p->atomic++;
    } else if (name == TK_END) {
        p->atomic--;
    }
}

/* Feeds from p->current to the end of the statement; the tree is in p->result. mode: the token
 * that says what is parsed, or MODE_STATEMENTS. */
static enum err
parse_one(struct parser *p, void *machine, int mode)
{
    parser__machine_start(machine, p);
    uint32_t statement_start = p->current.start;
    p->result = NULL;
    p->prev_end = p->current.start;
    p->first = 0;
    p->atomic = 0;
    int before = 0;
    if (mode != MODE_STATEMENTS) {
        parser__machine_feed(machine, mode, (struct parser_token){.location = -1}, p);
    }
    bool end = false;
    while (!end) {
        struct parser_token value = {.location = (int32_t)p->current.start};
        int name = 0;
        end = mode == MODE_STATEMENTS ? at_statement_end(&p->current) : p->current.kind == SCAN_END;
        if (end && p->atomic > 0 && p->current.kind == SCAN_SYMBOL) {
            end = false;
            name = TK_SEMI;
        } else if (!end) {
            name = next_token(p, &value);
            if (p->err != ERR_OK) {
                return p->err;
            }
        }
        parser__machine_feed(machine, name, value, p);
        if (p->err != ERR_OK) {
            bool refused = p->unfinished && unsupported_clause(p, statement_start);
            return p->unfinished && !refused ? fail_near(p, "syntax error", &p->current) : p->err;
        }
        note_atomic(p, before, name);
        before = name;
        p->second = p->first == 0;
        p->first = p->second ? name : p->first;
        if (!end) {
            p->prev_end = p->current.end;
            scanner_next(&p->scanner, &p->current);
        }
    }
    ASSERT(p->result != NULL);
    return ERR_OK;
}

static enum err
start(struct parser *p, struct arena *arena, const char *text, size_t size, struct diag *diag)
{
    *p = (struct parser){.arena = arena, .diag = diag};
    if (size > TEXT_SIZE_MAX) {
        return diag_set(diag, ERR_LIMIT, "statement is longer than %d bytes", TEXT_SIZE_MAX);
    }
    size_t bad = utf8_invalid_at(text, size);
    if (bad != size) {
        char bytes[32] = "";
        unsigned length = (uint8_t)text[bad] >= 0xF0 ? 4 : (uint8_t)text[bad] >= 0xE0 ? 3 : 2;
        length = (uint8_t)text[bad] < 0xC2 || (uint8_t)text[bad] > 0xF4 ? 1 : length;
        size_t used = 0;
        for (unsigned i = 0; i < length && bad + i < size; i++) {
            used += (size_t)snprintf(bytes + used, sizeof bytes - used, "%s0x%02x",
                i == 0 ? "" : " ", (uint8_t)text[bad + i]);
        }
        return diag_set(
            diag, ERR_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\": %s", bytes);
    }
    scanner_create(&p->scanner, text, size);
    scanner_next(&p->scanner, &p->current);
    return ERR_OK;
}

enum err
parser_parse(struct arena *arena, const char *text, size_t size, struct ast_list **statements,
    struct diag *diag)
{
    struct parser p;
    struct diag unused;
    TRY(start(&p, arena, text, size, diag == NULL ? &unused : diag));
    void *machine = parser__machine();
    struct ast_list *list = parser__list(&p, NULL);
    for (;;) {
        while (p.current.kind == SCAN_SYMBOL && p.current.symbol == ';') {
            scanner_next(&p.scanner, &p.current);
        }
        if (p.current.kind == SCAN_END) {
            *statements = list;
            return ERR_OK;
        }
        struct ast_statement *statement =
            NEW_AT(&p, AST_STATEMENT, statement, (int32_t)p.current.start);
        const char *unsupported = unsupported_statement(&p);
        if (unsupported != NULL) {
            struct ast_unsupported *node =
                NEW_AT(&p, AST_UNSUPPORTED, unsupported, (int32_t)p.current.start);
            node->what = unsupported;
            TRY(skip_statement(&p));
            statement->body = &node->node;
        } else {
            p.param_max = 0;
            TRY(parse_one(&p, machine, MODE_STATEMENTS));
            statement->body = p.result;
            statement->param_max = p.param_max;
        }
        statement->start = statement->node.location;
        statement->size = (int32_t)p.prev_end - statement->start;
        parser__append(&p, list, statement);
    }
}

enum err
parser_parse_expression(
    struct arena *arena, const char *text, size_t size, struct ast_node **expr, struct diag *diag)
{
    struct parser p;
    struct diag unused;
    TRY(start(&p, arena, text, size, diag == NULL ? &unused : diag));
    void *machine = parser__machine();
    TRY(parse_one(&p, machine, TK_MODE_EXPR));
    *expr = p.result;
    return ERR_OK;
}

enum err
parser_parse_type(
    struct arena *arena, const char *text, size_t size, struct ast_type **type, struct diag *diag)
{
    struct parser p;
    struct diag unused;
    TRY(start(&p, arena, text, size, diag == NULL ? &unused : diag));
    void *machine = parser__machine();
    TRY(parse_one(&p, machine, TK_MODE_TYPE));
    *type = (struct ast_type *)(void *)p.result;
    return ERR_OK;
}
