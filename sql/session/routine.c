/*
 * sql/session/routine.c - functions and procedures of users, when they are called.
 *
 * A session keeps what it runs: the body's statements parsed, and planned as prepared ones are, so
 * that a call plans nothing. A call is a statement within a statement: a plan of the body is
 * executed while the one that called it waits in an expression; so a body may be running several
 * times at once (recursion), and its entry stays as long as it does.
 *
 * A volatile routine's statements each take a snapshot of their own, and see what the statement
 * that called it has done so far; any other's see what that one sees, and change nothing.
 */
#include "sql/plan/routine.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sql/ddl/ddl.h"
#include "sql/session/session_internal.h"

enum {
    ROUTINES_KEPT_MAX = 64,
    STACK_OF_A_CALL = 48 * 1024, /* planning and running a statement, without what it calls */
};

struct body {
    struct list_node node; /* session->routines, the last used one first */
    struct arena arena;
    oid_t oid;
    const char *user; /* who its plans are made for */
    const char *text;
    uint32_t param_count;
    oid_t *param_types;
    struct planned_names names;
    struct routine_result result;
    const struct ast_list *statements;
    struct planned **planned; /* one each, or NULL */
    uint32_t count, running;
};

static void
delete_body(struct body *body)
{
    planned__release_all(body->planned, body->count);
    arena_destroy(&body->arena);
    mem_free(body);
}

void
routine__forget_all(struct sql_session *session)
{
    struct list_node *next;
    for (struct list_node *at = session->routines.next; at != &session->routines; at = next) {
        struct body *body = LIST_ENTRY(at, struct body, node);
        next = at->next;
        if (body->running == 0) {
            list_remove(at);
            session->routine_count--;
            delete_body(body);
        }
    }
}

/* ---- bodies -----------------------------------------------------------------------------------
 */

static bool
same_types(const oid_t *a, const oid_t *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

static bool
is_of(const struct body *body, const struct routine *routine, const char *user)
{
    const struct routine_result *result = &routine->result;
    return body->oid == routine->oid && strcmp(body->user, user) == 0 &&
           strcmp(body->text, routine->body) == 0 && body->param_count == routine->param_count &&
           body->result.count == result->count && body->result.declared == result->declared &&
           same_types(body->param_types, routine->param_types, body->param_count) &&
           same_types(body->result.types, result->types, result->count);
}

static enum err
make_body(struct sql_session *session, const struct routine *routine, struct body **made,
    struct diag *diag)
{
    struct body *body = mem_zalloc(sizeof *body);
    struct arena *arena = &body->arena;
    struct ast_list *list = NULL;
    arena_create(arena, "routine");
    body->oid = routine->oid;
    body->user = arena_strdup(arena, session->env.user);
    body->text = arena_strdup(arena, routine->body);
    body->param_count = routine->param_count;
    body->param_types = arena_array(arena, routine->param_count + 1U, sizeof(oid_t));
    const char **names = arena_array(arena, routine->param_count + 1U, sizeof *names);
    for (uint32_t i = 0; i < routine->param_count; i++) {
        body->param_types[i] = routine->param_types[i];
        names[i] =
            routine->param_names[i] == NULL ? NULL : arena_strdup(arena, routine->param_names[i]);
    }
    body->result = routine->result;
    oid_t *types = arena_array(arena, routine->result.count + 1U, sizeof *types);
    for (uint32_t i = 0; i < routine->result.count; i++) {
        types[i] = routine->result.types[i];
    }
    body->result.types = types;
    body->names = (struct planned_names){.routine = arena_strdup(arena, routine->name),
        .names = names,
        .count = routine->param_count};
    enum err err = parser_parse(arena, body->text, strlen(body->text), &list, diag);
    if (err != ERR_OK) {
        delete_body(body);
        return err;
    }
    body->statements = list;
    body->count = ast_list_count(list);
    body->planned = mem_array(body->count + 1U, sizeof(struct planned *));
    *made = body;
    return ERR_OK;
}

static enum err
find_body(struct sql_session *session, const struct routine *routine, struct body **found,
    struct diag *diag)
{
    struct body *oldest = NULL;
    LIST_FOREACH (node, &session->routines) {
        struct body *body = LIST_ENTRY(node, struct body, node);
        if (is_of(body, routine, session->env.user)) {
            list_remove(node);
            list_push_front(&session->routines, node);
            *found = body;
            return ERR_OK;
        }
        oldest = body->running == 0 ? body : oldest;
    }
    if (session->routine_count >= ROUTINES_KEPT_MAX && oldest != NULL) {
        list_remove(&oldest->node);
        session->routine_count--;
        delete_body(oldest);
    }
    TRY(make_body(session, routine, found, diag));
    list_push_front(&session->routines, &(*found)->node);
    session->routine_count++;
    return ERR_OK;
}

/* ---- one call ---------------------------------------------------------------------------------
 */

/* What receives the last statement's rows. *enough: no more of them are wanted. */
typedef enum err take_row(
    void *arg, const struct plan *plan, const struct datum *row, bool *enough);

struct call {
    struct task *task;
    struct sql_session *session;
    const struct routine *routine;
    struct body *body;
    const struct datum *args;
    const struct txn_snapshot *snapshot; /* NULL: each statement takes its own */
    take_row *take;
    void *arg;
    struct diag *diag;
};

static const char *
statement_verb(const struct ast_node *node)
{
    switch (node->kind) {
    case AST_INSERT:
        return "INSERT";
    case AST_UPDATE:
        return "UPDATE";
    case AST_DELETE:
        return "DELETE";
    case AST_CALL_STATEMENT:
        return "CALL";
    default:
        return "this statement";
    }
}

static const char *
transaction_word(enum ast_transaction_kind kind)
{
    return kind == AST_COMMIT     ? "COMMIT"
           : kind == AST_ROLLBACK ? "ROLLBACK"
           : kind == AST_BEGIN    ? "BEGIN"
                                  : "SAVEPOINT";
}

static enum err
check_allowed(const struct call *call, const struct ast_statement *statement)
{
    const struct ast_node *node = statement->body;
    if (node->kind == AST_TRANSACTION) {
        return diag_set(call->diag, ERR_FEATURE_NOT_SUPPORTED,
            "%s is not allowed in an SQL function",
            transaction_word(ast_as_transaction(node)->kind));
    }
    if (!statement_is_query(statement) && !ddl_handles(node)) {
        return diag_set(call->diag, ERR_FEATURE_NOT_SUPPORTED,
            "only SELECT, INSERT, UPDATE, DELETE, CALL and definitions are supported in the body "
            "of a function");
    }
    if (node->kind != AST_SELECT && !call->routine->is_volatile) {
        return diag_set(call->diag, ERR_FEATURE_NOT_SUPPORTED,
            "%s is not allowed in a non-volatile function", statement_verb(node));
    }
    return ERR_OK;
}

static enum err
run_plan(struct call *call, struct planned *planned, bool last)
{
    struct sql_session *session = call->session;
    struct arena arena;
    struct exec *exec = NULL;
    bool enough = false;
    const struct txn_snapshot *around = session->borrowed_snapshot;
    arena_create(&arena, "routine");
    session->borrowed_snapshot = call->snapshot;
    enum err err =
        planned__open(call->task, session, planned, &arena, call->args, false, &exec, call->diag);
    session->borrowed_snapshot = around;
    while (err == ERR_OK && !enough) {
        const struct datum *row = NULL;
        session->env.catalog = planned->catalog; /* a call within may have had another */
        err = exec_next(call->task, exec, &row);
        if (err != ERR_OK || row == NULL) {
            break;
        }
        if (last && (call->routine->result.count > 0 || call->routine->any_record)) {
            err = call->take(call->arg, planned->plan, row, &enough);
        }
    }
    if (exec != NULL) {
        exec_close(call->task, exec);
    }
    arena_destroy(&arena);
    return err;
}

static enum err
run_statement(struct call *call, uint32_t at, bool *started)
{
    struct sql_session *session = call->session;
    struct body *body = call->body;
    const struct ast_statement *statement = ast_as_statement(ast_list_at(body->statements, at));
    bool last = at + 1 == body->count;
    TRY(check_allowed(call, statement));
    if (!statement_is_query(statement)) {
        const char *tag;
        *started = true;
        return utility__run_ddl(
            call->task, session, statement->body, body->text, strlen(body->text), &tag, call->diag);
    }
    struct planned_names names = body->names;
    bool checked = last && body->result.count > 0 && statement->body->kind != AST_CALL_STATEMENT;
    names.result = checked ? &body->result : NULL;
    TRY(planned__renew_named(call->task, session, statement->body, body->text, body->param_types,
        body->param_count, body->param_count, &names, &body->planned[at], call->diag));
    *started = true;
    struct planned *planned = planned__hold(body->planned[at]);
    enum err err = run_plan(call, planned, last);
    planned__release(planned);
    return err;
}

static enum err
run_statements(struct call *call)
{
    struct diag *diag = call->diag;
    const char *name = call->routine->name;
    for (uint32_t i = 0; i < call->body->count; i++) {
        bool started = false;
        enum err err = run_statement(call, i, &started);
        if (err != ERR_OK && started) {
            diag_position(diag, 0);
            diag_context_add(diag, "SQL function \"%s\" statement %u", name, i + 1);
        } else if (err != ERR_OK) {
            diag_position(diag, 0);
            diag_context_add(diag, "SQL function \"%s\" during startup", name);
        }
        TRY(err);
    }
    return ERR_OK;
}

/* ---- SET, SECURITY DEFINER --------------------------------------------------------------------
 */

struct restore {
    struct restore *next;
    const char *name, *value;
};

static enum err
apply_settings(struct sql_session *session, const struct routine *routine, struct arena *arena,
    struct restore **restore, struct diag *diag)
{
    AST_FOREACH(at, routine->options)
    {
        const struct ast_option *option = ast_as_option(*at);
        if (strcmp(option->name, "set") != 0) {
            continue;
        }
        struct ast_set set = *ast_as_set(option->value);
        if (set.kind != AST_SET_VALUE) {
            continue;
        }
        const char *before = settings__get(session, set.name, NULL);
        struct restore *one = arena_alloc(arena, sizeof *one);
        *one = (struct restore){*restore, arena_strdup(arena, set.name),
            before == NULL ? NULL : arena_strdup(arena, before)};
        set.local = true;
        TRY(settings__set(session, &set, diag));
        *restore = one;
    }
    return ERR_OK;
}

static enum err
run_with_settings(struct call *call)
{
    struct sql_session *session = call->session;
    struct arena arena;
    struct restore *restore = NULL;
    arena_create(&arena, "routine");
    enum err err = apply_settings(session, call->routine, &arena, &restore, call->diag);
    if (err == ERR_OK) {
        err = run_statements(call);
    }
    /* After an error too: the transaction's end puts back what was before it. */
    for (; restore != NULL; restore = restore->next) {
        struct diag *diag = err == ERR_OK ? call->diag : NULL;
        enum err back = settings__set_value(session, restore->name, restore->value, true, diag);
        err = err == ERR_OK ? back : err;
    }
    arena_destroy(&arena);
    return err;
}

static bool
sets_something(const struct routine *routine)
{
    AST_FOREACH(at, routine->options)
    {
        if (strcmp(ast_as_option(*at)->name, "set") == 0) {
            return true;
        }
    }
    return false;
}

static enum err
run_call(struct call *call)
{
    enum err err = find_body(call->session, call->routine, &call->body, call->diag);
    if (err != ERR_OK) {
        diag_position(call->diag, 0);
        diag_context_add(call->diag, "SQL function \"%s\" during startup", call->routine->name);
        return err;
    }
    call->body->running++;
    err = sets_something(call->routine) ? run_with_settings(call) : run_statements(call);
    call->body->running--;
    return err;
}

static enum err
run(struct eval *eval, const struct routine *routine, const struct datum *args, take_row *take,
    void *arg)
{
    struct sql_session *session = eval->env == NULL ? NULL : eval->env->session;
    if (session == NULL || eval->task == NULL || txn_state(session->txn) != TXN_ACTIVE) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED,
            "functions of users cannot be called here: %s", routine->name);
    }
    if (task_stack_left(eval->task) < STACK_OF_A_CALL) {
        (void)diag_set(eval->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
        diag_hint(eval->diag, "The functions call one another too deeply.");
        return ERR_STATEMENT_TOO_COMPLEX;
    }
    struct call call = {
        .task = eval->task,
        .session = session,
        .routine = routine,
        .args = args,
        .snapshot = routine->is_volatile ? NULL : eval->snapshot,
        .take = take,
        .arg = arg,
        .diag = eval->diag,
    };
    struct eval_env *env = &session->env;
    const struct catalog *catalog = env->catalog;
    const char *user = env->user;
    if (routine->definer != NULL) {
        env->user = routine->definer;
    }
    enum err err = run_call(&call);
    env->user = user;
    env->catalog = catalog;
    return err;
}

/* ---- a value ----------------------------------------------------------------------------------
 */

struct value {
    struct eval *eval;
    const struct routine *routine;
    struct datum result;
};

/* The columns as one record. */
static enum err
make_record(struct eval *eval, const struct routine *routine, const struct plan *plan,
    const struct datum *row, struct datum *result)
{
    size_t run = 0;
    const struct function *build = function_by_name("record_build", &run);
    uint32_t count = plan->column_count;
    struct datum *args = arena_array(eval->arena, 3 * (size_t)count + 1, sizeof *args);
    ASSERT(run == 1);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = routine->any_record ? plan->columns[i].name : routine->column_names[i];
        args[3 * i] = datum_int(plan->columns[i].type);
        args[3 * i + 1] = datum_bytes(name, strlen(name));
        args[3 * i + 2] = row[i];
    }
    return build->call(eval, args, (int)(3 * count), result);
}

static enum err
take_value(void *arg, const struct plan *plan, const struct datum *row, bool *enough)
{
    struct value *value = arg;
    *enough = true;
    if (value->routine->composite || value->routine->any_record) {
        return make_record(value->eval, value->routine, plan, row, &value->result);
    }
    value->result = datum_copy(value->eval->arena, value->routine->result.types[0], row[0]);
    return ERR_OK;
}

static enum err
call_value(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    (void)count;
    struct value value = {eval, routine_of(args), datum_null()};
    TRY(run(eval, value.routine, args + 1, take_value, &value));
    *result = value.result;
    return ERR_OK;
}

/* ---- a set ------------------------------------------------------------------------------------
 */

struct set_row {
    struct set_row *next;
    struct datum values[];
};

/* All rows, when it starts. */
struct set {
    struct eval *eval;
    const struct routine *routine;
    struct set_row *at, **last;
};

static struct set_row *
new_row(struct set *set)
{
    struct set_row *row = arena_alloc(
        set->eval->arena, sizeof *row + set->routine->result.count * sizeof row->values[0]);
    *set->last = row;
    set->last = &row->next;
    return row;
}

static enum err
take_set_row(void *arg, const struct plan *plan, const struct datum *values, bool *enough)
{
    (void)plan;
    struct set *set = arg;
    const struct routine *routine = set->routine;
    const struct sql_session *session = set->eval->env->session;
    struct set_row *row = new_row(set);
    *enough = !routine->returns_set;
    for (uint32_t i = 0; i < routine->result.count; i++) {
        row->values[i] = datum_copy(set->eval->arena, routine->result.types[i], values[i]);
    }
    if (arena_used(set->eval->arena) > session->engine->statement_memory_max) {
        (void)diag_set(set->eval->diag, ERR_LIMIT, "out of memory");
        diag_detail(set->eval->diag,
            "The rows of function \"%s\" are more than one statement may "
            "keep.",
            routine->name);
        return ERR_LIMIT;
    }
    return ERR_OK;
}

static enum err
set_start(struct eval *eval, void *state, const struct datum *args, int count)
{
    (void)count;
    struct set *set = state;
    *set = (struct set){.eval = eval, .routine = routine_of(args)};
    set->last = &set->at;
    TRY(run(eval, set->routine, args + 1, take_set_row, set));
    if (set->at == NULL && !set->routine->returns_set) {
        struct set_row *row = new_row(set);
        for (uint32_t i = 0; i < set->routine->result.count; i++) {
            row->values[i] = datum_null();
        }
    }
    return ERR_OK;
}

static enum err
set_next(struct eval *eval, void *state, struct datum *values, bool *done)
{
    (void)eval;
    struct set *set = state;
    *done = set->at == NULL;
    if (!*done) {
        memcpy(values, set->at->values, set->routine->result.count * sizeof *values);
        set->at = set->at->next;
    }
    return ERR_OK;
}

void
routine__register(void)
{
    static const struct routine_runner runner = {.call = call_value,
        .set_state_size = sizeof(struct set),
        .set_start = set_start,
        .set_next = set_next};
    routine_set_runner(&runner);
}
