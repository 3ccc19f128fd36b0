/*
 * sql/session/cursor.c - DECLARE, FETCH, MOVE, CLOSE.
 *
 * A cursor is a portal that has a struct cursor. Rows that may be asked for again are kept in a
 * store as they come; a cursor that only goes forwards keeps none. WITH HOLD: at commit the rest is
 * read into the store, the execution ends, and the portal moves from session->portals to
 * session->held, where no transaction's end finds it.
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/session/session_internal.h"

struct cursor {
    bool scroll, hold, binary, declared_scroll;
    bool keeps; /* rows, for going back */
    bool ended; /* there are no more than those read */
    bool *binary_columns;
    int64_t created;
    uint64_t read;     /* rows that came out of the execution */
    uint64_t position; /* 0: before the first; n: on row n; read + 1: behind the last */
    struct store store;
    struct store_cursor place;
    struct spill_context spill;
    bool *by_reference;
    const char *text;  /* pg_cursors */
    uint64_t rows_max; /* that it may keep; 0: any number */
};

void
cursor__destroy(struct task *task, struct cursor *cursor)
{
    store_cursor_clear(&cursor->place);
    store_destroy(task, &cursor->store);
}

/* ---- DECLARE --------------------------------------------------------------------------------- */

/* PostgreSQL scrolls, unasked, where the plan can run backwards; here it is those whose rows come
 * straight from one place. */
static bool
may_scroll(const struct plan_node *node)
{
    for (;;) {
        switch (node->kind) {
        case PLAN_SCAN:
        case PLAN_INDEX:
        case PLAN_VIRTUAL:
        case PLAN_REMOTE:
        case PLAN_VALUES:
        case PLAN_SHARED:
        case PLAN_SORT:
        case PLAN_MATERIALIZE:
            return true;
        case PLAN_FUNCTION:
            return true;
        case PLAN_FILTER:
        case PLAN_PROJECT:
        case PLAN_LIMIT:
        case PLAN_RESULT:
            if (node->children[0] == NULL) {
                return false;
            }
            node = node->children[0];
            break;
        default:
            return false;
        }
    }
}

enum err
cursor__prepare(
    struct task *task, struct sql_session *session, struct prepared *prepared, struct diag *diag)
{
    const struct ast_declare_cursor *declare = ast_as_declare_cursor(prepared->statement->body);
    if (prepared->inner == NULL) {
        struct prepared *inner;
        const char *text = prepared->text + declare->query_start;
        TRY(prepared__new(session, "", text, (size_t)declare->query_size, NULL,
            prepared->given_types, prepared->given_count, &inner, diag));
        inner->no_params = prepared->no_params;
        prepared->inner = inner;
    }
    enum err err = prepared__plan(task, session, prepared->inner, diag);
    if (err != ERR_OK) {
        if (diag->position != 0) {
            diag_position(diag,
                diag->position +
                    parser_position(prepared->text, prepared->size, declare->query_start) - 1);
        }
        return err;
    }
    prepared->param_count = prepared->inner->param_count;
    prepared->param_types = prepared->inner->param_types;
    return ERR_OK;
}

static struct portal *
find_cursor(struct sql_session *session, const char *name)
{
    struct portal *portal = portal__find(session, name);
    LIST_FOREACH (node, &session->held) {
        struct portal *held = LIST_ENTRY(node, struct portal, node);
        if (portal == NULL && strcmp(held->name, name) == 0) {
            portal = held;
        }
    }
    return portal;
}

static enum err
check_declare(struct sql_session *session, const struct ast_declare_cursor *declare,
    const struct portal *portal, struct diag *diag)
{
    AST_FOREACH(at, declare->query->with.ctes)
    {
        if (ast_as_cte(*at)->query->kind != AST_SELECT) {
            return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                "DECLARE CURSOR must not contain data-modifying statements in WITH");
        }
    }
    bool locks = ast_list_count(declare->query->locking) > 0;
    if (locks && (declare->hold || declare->scroll == 1)) {
        static const char *const words[] = {[AST_LOCK_KEY_SHARE] = "FOR KEY SHARE",
            [AST_LOCK_SHARE] = "FOR SHARE",
            [AST_LOCK_NO_KEY_UPDATE] = "FOR NO KEY UPDATE",
            [AST_LOCK_UPDATE] = "FOR UPDATE"};
        enum err err =
            diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "DECLARE %s ... %s is not supported",
                declare->hold ? "CURSOR WITH HOLD" : "SCROLL CURSOR",
                words[ast_as_locking(ast_list_at(declare->query->locking, 0))->strength]);
        diag_detail(diag, declare->hold ? "Holdable cursors must be READ ONLY."
                                        : "Scrollable cursors must be READ ONLY.");
        return err;
    }
    if (!declare->hold && session->block != BLOCK_EXPLICIT) {
        return diag_set(diag, ERR_NO_ACTIVE_TRANSACTION,
            "DECLARE CURSOR can only be used in transaction blocks");
    }
    if (portal != NULL && portal->cursor == NULL && declare->name[0] == '\0') {
        return ERR_OK;
    }
    if (portal != NULL) {
        return diag_set(diag, ERR_DUPLICATE_CURSOR, "cursor \"%s\" already exists", declare->name);
    }
    return ERR_OK;
}

static bool *
by_reference(struct arena *arena, const struct plan *plan)
{
    bool *list = arena_array(arena, (size_t)plan->column_count + 1, sizeof *list);
    for (uint32_t i = 0; i < plan->column_count; i++) {
        const struct type *type = type_by_oid(plan->columns[i].type);
        list[i] = type == NULL || type->by_reference;
    }
    return list;
}

enum err
cursor__declare(
    struct task *task, struct sql_session *session, struct portal *from, struct diag *diag)
{
    struct prepared *prepared = from->prepared;
    const struct ast_declare_cursor *declare = ast_as_declare_cursor(prepared->statement->body);
    TRY(check_declare(session, declare, find_cursor(session, declare->name), diag));
    TRY(cursor__prepare(task, session, prepared, diag));
    struct prepared *inner = prepared->inner;
    struct portal *portal = mem_alloc(sizeof *portal);
    portal__create(portal, inner);
    portal->name = mem_strdup(declare->name);
    list_push_back(&session->portals, &portal->node);
    portal->params =
        arena_array(&portal->arena, (size_t)inner->param_count + 1, sizeof *portal->params);
    for (uint32_t i = 0; i < inner->param_count && from->params != NULL; i++) {
        portal->params[i] = from->params[i].null ? datum_null()
                                                 : datum_copy(&portal->arena, inner->param_types[i],
                                                       from->params[i]);
    }
    TRY(portal__open(task, session, portal, diag));
    const struct plan *plan = portal->planned->plan;
    struct cursor *cursor = arena_alloc(&portal->arena, sizeof *cursor);
    cursor->declared_scroll = declare->scroll == 1;
    cursor->scroll = declare->scroll == 1 || (declare->scroll < 0 && may_scroll(plan->root));
    cursor->hold = declare->hold;
    cursor->binary = declare->binary;
    cursor->keeps = cursor->scroll && !plan->writes;
    cursor->rows_max = session->engine->held_rows_max;
    cursor->created = session->env.statement_time;
    cursor->text = arena_strndup(&portal->arena, prepared->text + prepared->statement->start,
        (size_t)prepared->statement->size);
    if (cursor->binary) {
        cursor->binary_columns =
            arena_array(&portal->arena, (size_t)plan->column_count + 1, sizeof(bool));
        memset(cursor->binary_columns, 1, plan->column_count);
    }
    cursor->spill = (struct spill_context){
        .space = &session->spill_space, .work_mem = session->work_mem, .diag = diag};
    cursor->by_reference = by_reference(&portal->arena, plan);
    store_create(&cursor->store, &cursor->spill,
        (struct row_form){.by_reference = cursor->by_reference, .count = plan->column_count});
    portal->cursor = cursor;
    return ERR_OK;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The next row of the execution; NULL: there is none. */
static enum err
read_one(struct task *task, struct portal *portal, const struct datum **row)
{
    struct cursor *cursor = portal->cursor;
    *row = NULL;
    if (cursor->ended) {
        return ERR_OK;
    }
    TRY(exec_next(task, portal->exec, row));
    if (*row == NULL) {
        cursor->ended = true;
        return ERR_OK;
    }
    if (cursor->keeps && cursor->rows_max > 0 && cursor->read == cursor->rows_max) {
        (void)diag_set(cursor->spill.diag, ERR_CONFIGURATION_LIMIT,
            "cursor \"%s\" would keep too many rows", portal->name);
        diag_detail(
            cursor->spill.diag, "max_held_rows allows %llu.", (unsigned long long)cursor->rows_max);
        return ERR_CONFIGURATION_LIMIT;
    }
    cursor->read++;
    return cursor->keeps ? store_add(task, &cursor->store, *row, NULL) : ERR_OK;
}

/* To row `number` (from 1). NULL: it is before the first or behind the last, and so is the
 * position then. Without `keeps` only the row after the current one can be had. */
static enum err
go_to(struct task *task, struct portal *portal, uint64_t number, const struct datum **row)
{
    struct cursor *cursor = portal->cursor;
    *row = NULL;
    if (number == 0) {
        cursor->position = 0;
        return ERR_OK;
    }
    while (cursor->read < number && !cursor->ended) {
        TRY(read_one(task, portal, row));
    }
    if (cursor->read < number) {
        *row = NULL;
        cursor->position = cursor->read + 1;
        return ERR_OK;
    }
    cursor->position = number;
    return *row != NULL ? ERR_OK : store_get(task, &cursor->store, &cursor->place, number - 1, row);
}

static enum err
to_the_end(struct task *task, struct portal *portal)
{
    const struct datum *row;
    do {
        TRY(read_one(task, portal, &row));
    } while (!portal->cursor->ended);
    return ERR_OK;
}

/* ---- FETCH, MOVE ----------------------------------------------------------------------------- */

struct fetching {
    struct task *task;
    struct sql_session *session;
    struct portal *portal;
    const bool *binary;
    bool move;
    uint64_t count;
    struct diag *diag;
};

static enum err
give(struct fetching *fetching, const struct datum *row)
{
    fetching->count++;
    if (fetching->move) {
        return ERR_OK;
    }
    const struct plan *plan = fetching->portal->planned->plan;
    const struct sql_sink *sink = fetching->session->sink;
    return sink->row(fetching->task, sink->arg, plan->columns, row, plan->column_count,
        fetching->binary, fetching->diag);
}

/* The rows from `from` on, `count` of them, upwards or downwards; the position is the last one's,
 * or beyond the edge if that was reached. */
static enum err
give_range(struct fetching *fetching, int64_t count, bool up)
{
    struct cursor *cursor = fetching->portal->cursor;
    for (int64_t i = 0; i < count; i++) {
        const struct datum *row;
        uint64_t next = up ? cursor->position + 1 : cursor->position - 1;
        if ((up && cursor->ended && cursor->position > cursor->read) ||
            (!up && cursor->position == 0)) {
            return ERR_OK;
        }
        TRY(go_to(fetching->task, fetching->portal, next, &row));
        if (row == NULL) {
            return ERR_OK;
        }
        TRY(give(fetching, row));
    }
    return ERR_OK;
}

static enum err
give_one(struct fetching *fetching, uint64_t number)
{
    const struct datum *row;
    TRY(go_to(fetching->task, fetching->portal, number, &row));
    return row == NULL ? ERR_OK : give(fetching, row);
}

static enum err
only_forwards(struct diag *diag)
{
    enum err err = diag_set(diag, ERR_OBJECT_STATE, "cursor can only scan forward");
    diag_hint(diag, "Declare it with SCROLL option to enable backward scan.");
    return err;
}

static enum err
fetch(struct fetching *fetching, enum ast_fetch_direction direction, int64_t count)
{
    struct cursor *cursor = fetching->portal->cursor;
    if (direction == AST_FETCH_FORWARD && count < 0) {
        direction = AST_FETCH_BACKWARD;
        count = count == INT64_MIN ? INT64_MAX : -count;
    } else if (direction == AST_FETCH_BACKWARD && count < 0) {
        direction = AST_FETCH_FORWARD;
        count = count == INT64_MIN ? INT64_MAX : -count;
    }
    if (direction == AST_FETCH_RELATIVE) {
        /* As a row's number: rows after the current one are read only as far as needed. */
        if (count == 0 || (count > 0 && cursor->position > INT64_MAX - (uint64_t)count)) {
            direction = AST_FETCH_FORWARD;
            count = 0;
        } else {
            int64_t target = (int64_t)cursor->position + count;
            if (!cursor->keeps && count < 0) {
                return only_forwards(fetching->diag);
            }
            return give_one(fetching, target < 0 ? 0 : (uint64_t)target);
        }
    }
    if (direction == AST_FETCH_ABSOLUTE) {
        if (!cursor->keeps && (count < 0 || (uint64_t)count <= cursor->position)) {
            return count == 0 && cursor->position == 0 ? ERR_OK : only_forwards(fetching->diag);
        }
        if (count >= 0) {
            return give_one(fetching, (uint64_t)count);
        }
        TRY(to_the_end(fetching->task, fetching->portal));
        uint64_t back = (uint64_t)(count == INT64_MIN ? INT64_MAX : -count);
        return give_one(fetching, back > cursor->read ? 0 : cursor->read + 1 - back);
    }
    if (count == 0) {
        bool on_row = cursor->position > 0 && cursor->position <= cursor->read;
        if (on_row && !cursor->keeps && !fetching->move) {
            return only_forwards(fetching->diag);
        }
        if (on_row && !cursor->keeps) {
            fetching->count = 1;
            return ERR_OK;
        }
        return on_row ? give_one(fetching, cursor->position) : ERR_OK;
    }
    if (direction == AST_FETCH_BACKWARD && !cursor->keeps) {
        return only_forwards(fetching->diag);
    }
    return give_range(fetching, count, direction == AST_FETCH_FORWARD);
}

static enum err
missing(const char *name, struct diag *diag)
{
    return diag_set(diag, ERR_INVALID_CURSOR_NAME, "cursor \"%s\" does not exist", name);
}

/* The portal of an extended query is a cursor too, once it runs; but going back in one is not. */
static struct portal *
portal_with_cursor(struct sql_session *session, const char *name)
{
    struct portal *portal = find_cursor(session, name);
    return portal != NULL && portal->cursor != NULL ? portal : NULL;
}

void
cursor__describe(struct sql_session *session, struct prepared *prepared)
{
    const struct ast_fetch *statement = ast_as_fetch(prepared->statement->body);
    const struct portal *portal = portal_with_cursor(session, statement->name);
    prepared->described = false; /* what it names may change */
    if (portal == NULL || statement->move) {
        prepared->returns_rows = false;
        prepared->column_count = 0;
        return;
    }
    const struct plan *plan = portal->planned->plan;
    bool same = prepared->returns_rows && prepared->column_count == plan->column_count;
    for (uint32_t i = 0; i < plan->column_count && same; i++) {
        const struct plan_column *a = &prepared->columns[i], *b = &plan->columns[i];
        same = a->type == b->type && a->typmod == b->typmod && a->table == b->table &&
               a->attnum == b->attnum && strcmp(a->name, b->name) == 0;
    }
    if (same) {
        return;
    }
    /* Copied: the cursor may be closed before this statement is forgotten. */
    struct plan_column *columns =
        arena_array(&prepared->arena, (size_t)plan->column_count + 1, sizeof *columns);
    for (uint32_t i = 0; i < plan->column_count; i++) {
        columns[i] = plan->columns[i];
        columns[i].name = arena_strdup(&prepared->arena, plan->columns[i].name);
    }
    prepared->columns = columns;
    prepared->column_count = plan->column_count;
    prepared->returns_rows = true;
}

enum err
cursor__fetch(struct task *task, struct sql_session *session, const struct ast_fetch *statement,
    const bool *binary, char *tag, size_t tag_size, struct diag *diag)
{
    struct portal *portal = portal_with_cursor(session, statement->name);
    if (portal == NULL) {
        return missing(statement->name, diag);
    }
    struct fetching fetching = {.task = task,
        .session = session,
        .portal = portal,
        .binary = binary != NULL ? binary : portal->cursor->binary_columns,
        .move = statement->move,
        .diag = diag};
    portal->cursor->spill.diag = diag;
    if (portal->exec != NULL) {
        exec_hear(portal->exec, diag);
    }
    TRY(fetch(&fetching, statement->direction, statement->count));
    (void)snprintf(tag, tag_size, "%s %llu", statement->move ? "MOVE" : "FETCH",
        (unsigned long long)fetching.count);
    return ERR_OK;
}

/* ---- CLOSE, the end of transactions ---------------------------------------------------------- */

enum err
cursor__close(struct task *task, struct sql_session *session,
    const struct ast_close_cursor *statement, const char **tag, struct diag *diag)
{
    if (statement->name == NULL) {
        *tag = "CLOSE CURSOR ALL";
        LIST_FOREACH (node, &session->portals) {
            struct portal *portal = LIST_ENTRY(node, struct portal, node);
            if (portal->cursor != NULL) {
                node = node->prev;
                portal__close(task, portal);
            }
        }
        cursor__close_held(task, session);
        return ERR_OK;
    }
    *tag = "CLOSE CURSOR";
    struct portal *portal = portal_with_cursor(session, statement->name);
    if (portal == NULL) {
        return missing(statement->name, diag);
    }
    portal__close(task, portal);
    return ERR_OK;
}

void
cursor__close_held(struct task *task, struct sql_session *session)
{
    while (!list_empty(&session->held)) {
        portal__close(task, LIST_ENTRY(session->held.next, struct portal, node));
    }
}

/* Everything that is left to read, read; the position stays. */
static enum err
hold(struct task *task, struct portal *portal, struct diag *diag)
{
    struct cursor *cursor = portal->cursor;
    cursor->spill.diag = diag;
    exec_hear(portal->exec, diag);
    if (!cursor->keeps) {
        /* What was read is gone: the rest begins behind it. */
        cursor->read = 0;
        cursor->position = 0;
        cursor->keeps = true;
    }
    TRY(to_the_end(task, portal));
    exec_close(task, portal->exec);
    portal->exec = NULL;
    portal->state = PORTAL_DONE;
    if (!cursor->scroll) {
        cursor->keeps = false;
    }
    return ERR_OK;
}

enum err
cursor__hold_all(struct task *task, struct sql_session *session, struct diag *diag)
{
    LIST_FOREACH (node, &session->portals) {
        struct portal *portal = LIST_ENTRY(node, struct portal, node);
        if (portal->cursor != NULL && portal->cursor->hold && portal->exec != NULL) {
            TRY(hold(task, portal, diag));
        }
    }
    return ERR_OK;
}

void
cursor__set_aside(struct sql_session *session, struct list_node *held)
{
    LIST_FOREACH (node, &session->portals) {
        struct portal *portal = LIST_ENTRY(node, struct portal, node);
        if (portal->cursor != NULL && portal->cursor->hold) {
            node = node->prev;
            list_remove(&portal->node);
            list_push_back(held, &portal->node);
        }
    }
}

void
cursor__put_back(struct list_node *held, struct list_node *list)
{
    while (!list_empty(held)) {
        struct list_node *node = held->next;
        list_remove(node);
        list_push_back(list, node);
    }
}

/* ---- pg_cursors ------------------------------------------------------------------------------ */

static enum err
show_list(const struct list_node *list, enum err (*emit)(void *arg, const struct datum *values),
    void *arg)
{
    LIST_FOREACH (node, list) {
        const struct portal *portal = LIST_ENTRY(node, struct portal, node);
        const struct cursor *cursor = portal->cursor;
        if (cursor == NULL) {
            continue;
        }
        struct datum values[] = {datum_bytes(portal->name, strlen(portal->name)),
            datum_bytes(cursor->text, strlen(cursor->text)), datum_bool(cursor->hold),
            datum_bool(cursor->binary), datum_bool(cursor->scroll), datum_int(cursor->created)};
        TRY(emit(arg, values));
    }
    return ERR_OK;
}

enum err
cursor__scan(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg)
{
    (void)catalog;
    const struct sql_session *session = eval->env->session;
    if (session == NULL) {
        return ERR_OK;
    }
    TRY(show_list(&session->portals, emit, arg));
    return show_list(&session->held, emit, arg);
}
