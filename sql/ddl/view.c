/*
 * sql/ddl/view.c - CREATE VIEW, and what depends on what.
 *
 * A view's record is its columns and its query as text (bind/view.c). What it depends on is not
 * stored: whoever asks has every view bound anew. So it is never out of date, and only the rare
 * statements that drop or rename pay for it.
 */
#include "base/assert.h"
#include "sql/ddl/ddl_internal.h"
#include "sql/plan/plan.h"

/* ---- dependencies ---------------------------------------------------------------------------- */

/* What the view looks at; false if it cannot be bound, and then it looks at nothing. */
static bool
describe(struct ddl *ddl, const struct relation *view, const struct view_rename *rename,
    struct view_definition *definition)
{
    struct ddl_context *context = ddl->context;
    struct diag unheard = {0};
    struct ast_list *statements;
    if (view->view_text == NULL || context->hooks->describe_view == NULL ||
        parser_parse(ddl->arena, view->view_text, strlen(view->view_text), &statements, &unheard) !=
            ERR_OK) {
        return false;
    }
    const struct ast_node *body = ast_as_statement(ast_list_at(statements, 0))->body;
    if (body->kind != AST_SELECT) {
        return false;
    }
    struct diag *diag = context->diag;
    context->diag = &unheard;
    enum err err = context->hooks->describe_view(
        ddl->task, context, NULL, ast_as_select(body), rename, definition);
    context->diag = diag;
    return err == ERR_OK;
}

static bool
uses(const struct view_definition *definition, oid_t relation, uint32_t column)
{
    for (uint32_t i = 0; i < definition->use_count; i++) {
        if (definition->uses[i].relation == relation && definition->uses[i].column == column) {
            return true;
        }
    }
    return false;
}

static bool
has_oid(const oid_t *oids, size_t count, oid_t oid)
{
    for (size_t i = 0; i < count; i++) {
        if (oids[i] == oid) {
            return true;
        }
    }
    return false;
}

/* Views that look at the relation or type (column 0) or at its column (from 1), nearest first, and
 * those that look at them. */
struct dependents {
    oid_t *views;
    oid_t *on; /* what each depends on */
    oid_t of;  /* the relation, or a type */
    size_t count;
};

static void
find_dependents(struct ddl *ddl, oid_t relation, uint32_t column, struct dependents *found)
{
    size_t most = 0;
    const struct relation *view;
    for (size_t i = 0; (view = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        most += view->view_text != NULL;
    }
    *found = (struct dependents){.of = relation,
        .views = arena_array(ddl->arena, most + 1, sizeof(oid_t)),
        .on = arena_array(ddl->arena, most + 1, sizeof(oid_t))};
    if (most == 0) {
        return;
    }
    struct view_definition *all = arena_array(ddl->arena, most, sizeof *all);
    const struct relation **views = arena_array(ddl->arena, most, sizeof(struct relation *));
    size_t count = 0;
    for (size_t i = 0; (view = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        if (view->view_text != NULL && describe(ddl, view, NULL, &all[count])) {
            views[count++] = view;
        }
    }
    for (size_t next = 0, round = 0; next < found->count || round == 0; round++) {
        oid_t on = round == 0 ? relation : found->views[next++];
        for (size_t i = 0; i < count; i++) {
            if (views[i]->oid != relation && uses(&all[i], on, round == 0 ? column : 0) &&
                !has_oid(found->views, found->count, views[i]->oid)) {
                found->on[found->count] = on;
                found->views[found->count++] = views[i]->oid;
            }
        }
    }
}

static const char *
word_of(const struct relation *relation)
{
    return relation->kind == RELATION_VIEW      ? "view"
           : relation_is_materialized(relation) ? "materialized view"
                                                : "table";
}

/* As errors name it: with its schema if the search path does not lead to it. */
static const char *
shown(struct ddl *ddl, const struct relation *relation)
{
    const struct relation *seen =
        catalog_relation_on(ddl->catalog, ddl->context->env->search_path, NULL, relation->name);
    return seen == relation
               ? relation->name
               : arena_printf(ddl->arena, "%s.%s", relation->schema_name, relation->name);
}

static enum err
still_needed(struct ddl *ddl, const struct relation *relation, const char *column,
    const struct dependents *found, const bool *matters)
{
    const char *what =
        relation == NULL ? arena_printf(ddl->arena, "type %s",
                               type_format(ddl->context->env, ddl->arena, found->of, -1))
        : column == NULL
            ? arena_printf(ddl->arena, "%s %s", word_of(relation), shown(ddl, relation))
            : arena_printf(ddl->arena, "column %s of %s %s", column, word_of(relation),
                  shown(ddl, relation));
    enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
        "cannot drop %s because other objects depend on it", what);
    struct buffer detail = {0};
    for (size_t i = 0; i < found->count && detail.size < DIAG_TEXT_MAX; i++) {
        const struct relation *view = catalog_relation_by_oid(ddl->catalog, found->views[i]);
        const struct relation *on = catalog_relation_by_oid(ddl->catalog, found->on[i]);
        if (!matters[i]) {
            continue;
        }
        buffer_printf(&detail, "%s%s %s depends on %s", detail.size == 0 ? "" : "\n", word_of(view),
            shown(ddl, view),
            on == relation ? what : arena_printf(ddl->arena, "%s %s", word_of(on), shown(ddl, on)));
    }
    diag_detail(ddl->diag, "%.*s", (int)detail.size, (const char *)detail.data);
    diag_hint(ddl->diag, "Use DROP ... CASCADE to drop the dependent objects too.");
    buffer_destroy(&detail);
    return err;
}

enum err
ddl__drop_view(struct ddl *ddl, const struct relation *view)
{
    struct ddl_context *context = ddl->context;
    TRY(catalog_name_remove(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION,
        view->schema, view->name, ddl->diag));
    TRY(catalog_relation_remove(ddl->task, context->store, context->txn, view->oid, ddl->diag));
    return ddl__changed(ddl);
}

enum err
ddl__drop_dependents(struct ddl *ddl, oid_t oid, uint32_t column, bool cascade,
    const oid_t *dropping, size_t dropping_count)
{
    struct dependents found;
    const struct relation *gone = catalog_relation_by_oid(ddl->catalog, oid);
    if (gone != NULL && column == 0) {
        const char *what = arena_printf(ddl->arena, "%s %s", word_of(gone), shown(ddl, gone));
        TRY(ddl__drop_functions_of(ddl, oid, what, cascade));
    }
    find_dependents(ddl, oid, column, &found);
    bool *matters = arena_array(ddl->arena, found.count + 1, sizeof *matters);
    size_t count = 0, last = 0;
    for (size_t i = 0; i < found.count; i++) {
        matters[i] = !has_oid(dropping, dropping_count, found.views[i]);
        count += matters[i];
        last = matters[i] ? i : last;
    }
    const struct relation *relation = catalog_relation_by_oid(ddl->catalog, oid);
    if (count > 0 && !cascade) {
        return still_needed(ddl, relation, column == 0 ? NULL : relation->columns[column - 1].name,
            &found, matters);
    }
    if (count == 1) {
        const struct relation *view = catalog_relation_by_oid(ddl->catalog, found.views[last]);
        ddl__notice(ddl, ERR_OK, "drop cascades to %s %s", word_of(view), shown(ddl, view));
    } else if (count > 1) {
        ddl__notice(ddl, ERR_OK, "drop cascades to %zu other objects", count);
    }
    for (size_t i = found.count; i-- > 0;) {
        const struct relation *view = catalog_relation_by_oid(ddl->catalog, found.views[i]);
        if (!matters[i] || view == NULL) {
            continue;
        }
        TRY(txn_lock_table(ddl->task, ddl->context->txn, view->oid, view->name,
            TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
        TRY(ddl__refresh(ddl));
        view = catalog_relation_by_oid(ddl->catalog, found.views[i]);
        if (view != NULL) {
            TRY(relation_is_materialized(view) ? ddl__drop_table(ddl, view)
                                               : ddl__drop_view(ddl, view));
        }
    }
    return ERR_OK;
}

enum err
ddl__check_retype(struct ddl *ddl, const struct relation *table, uint32_t column)
{
    struct dependents found;
    find_dependents(ddl, table->oid, column, &found);
    if (found.count == 0) {
        return ERR_OK;
    }
    enum err err = diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
        "cannot alter type of a column used by a view or rule");
    diag_detail(ddl->diag, "rule _RETURN on view %s depends on column \"%s\"",
        shown(ddl, catalog_relation_by_oid(ddl->catalog, found.views[0])),
        table->columns[column - 1].name);
    return err;
}

/* ---- following new names --------------------------------------------------------------------- */

struct ddl__followers {
    struct ddl__followers *next;
    oid_t view;
    const char *text;
};

enum err
ddl__find_followers(
    struct ddl *ddl, const struct view_rename *rename, struct ddl__followers **followers)
{
    *followers = NULL;
    const struct relation *view;
    for (size_t i = 0; (view = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        struct view_definition definition;
        if (view->view_text == NULL || !describe(ddl, view, rename, &definition) ||
            !uses(&definition, rename->relation, (uint32_t)(rename->column + 1))) {
            continue;
        }
        struct ddl__followers *follower = arena_alloc(ddl->arena, sizeof *follower);
        *follower =
            (struct ddl__followers){.next = *followers, .view = view->oid, .text = definition.text};
        *followers = follower;
    }
    return ERR_OK;
}

enum err
ddl__follow(struct ddl *ddl, const struct ddl__followers *followers)
{
    for (; followers != NULL; followers = followers->next) {
        const struct relation *view;
        TRY(ddl__find_again(ddl, followers->view, &view));
        struct ddl__edit *edit = ddl__edit_new(ddl, view);
        edit->relation.view_text = followers->text;
        struct view_definition definition;
        if (!describe(ddl, &edit->relation, NULL, &definition) ||
            definition.column_count != view->column_count) {
            return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "cannot rename: view %s could not follow", view->name);
        }
        TRY(ddl__edit_store(ddl, edit));
    }
    return ERR_OK;
}

/* ---- CREATE VIEW ----------------------------------------------------------------------------- */

static enum err
read_check_option(struct ddl *ddl, const struct ast_option *option, char *check_option)
{
    const struct ast_node *value = option->value;
    const char *text = value == NULL               ? ""
                       : value->kind == AST_NAME   ? ast_as_name(value)->text
                       : value->kind == AST_CONST  ? ast_as_const(value)->text
                       : value->kind == AST_COLUMN ? ast_as_column(value)->parts[0]
                                                   : "";
    *check_option = strcasecmp(text, "local") == 0      ? 'l'
                    : strcasecmp(text, "cascaded") == 0 ? 'c'
                                                        : 0;
    if (*check_option == 0) {
        enum err err = diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE,
            "invalid value for enum option \"check_option\": %s", text);
        diag_detail(ddl->diag, "Valid values are \"local\" and \"cascaded\".");
        return err;
    }
    return ERR_OK;
}

static enum err
refuse(struct ddl *ddl, const struct ast_create_view *statement, char *check_option)
{
    *check_option = statement->check_option == NULL ? 0 : statement->check_option[0];
    if (statement->persistence == AST_UNLOGGED) {
        return diag_set(
            ddl->diag, ERR_SYNTAX, "views cannot be unlogged because they do not have storage");
    }
    AST_FOREACH(at, statement->options)
    {
        const struct ast_option *option = ast_as_option(*at);
        bool known = strcmp(option->name, "security_barrier") == 0 ||
                     strcmp(option->name, "security_invoker") == 0 ||
                     strcmp(option->name, "check_option") == 0;
        if (!known) {
            return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE, "unrecognized parameter \"%s\"",
                option->name);
        }
        if (strcmp(option->name, "check_option") == 0) {
            TRY(read_check_option(ddl, option, check_option));
        } else {
            return ddl__unsupported(ddl, "a view's option", -1);
        }
    }
    AST_FOREACH(at, statement->query->with.ctes)
    {
        if (ast_as_cte(*at)->query->kind != AST_SELECT) {
            return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "views must not contain data-modifying statements in WITH");
        }
    }
    return ERR_OK;
}

/* The columns as the view will have them. */
static enum err
view_columns(struct ddl *ddl, const struct ast_create_view *statement,
    const struct view_definition *definition, struct ddl__edit *edit)
{
    uint32_t named = ast_list_count(statement->columns);
    if (named > definition->column_count) {
        return diag_set(
            ddl->diag, ERR_SYNTAX, "CREATE VIEW specifies more column names than columns");
    }
    for (uint32_t i = 0; i < definition->column_count; i++) {
        const struct plan_column *from = &definition->columns[i];
        const char *name =
            i < named ? ast_as_name(ast_list_at(statement->columns, i))->text : from->name;
        if (relation_column(&edit->relation, name) >= 0) {
            return diag_set(
                ddl->diag, ERR_DUPLICATE_COLUMN, "column \"%s\" specified more than once", name);
        }
        TRY(ddl__check_column_type(ddl, name, from->type, -1));
        if (edit->relation.column_count >= COLUMNS_MAX) {
            return diag_set(
                ddl->diag, ERR_TOO_MANY_COLUMNS, "tables can have at most %d columns", COLUMNS_MAX);
        }
        struct column *column = ddl__edit_add_column(ddl, edit);
        *column = (struct column){
            .name = name, .type = from->type, .typmod = from->typmod, .domain = from->domain};
    }
    return ERR_OK;
}

static enum err
check_replaced(struct ddl *ddl, const struct relation *old, const struct relation *new)
{
    if (new->column_count < old->column_count) {
        return diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION, "cannot drop columns from view");
    }
    for (uint16_t i = 0; i < old->column_count; i++) {
        const struct column *was = &old->columns[i], *is = &new->columns[i];
        if (strcmp(was->name, is->name) != 0) {
            enum err err = diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
                "cannot change name of view column \"%s\" to \"%s\"", was->name, is->name);
            diag_hint(ddl->diag,
                "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.");
            return err;
        }
        if (was->type != is->type || was->typmod != is->typmod || was->domain != is->domain) {
            return diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
                "cannot change data type of view column \"%s\" from %s to %s", was->name,
                type_format(ddl->context->env, ddl->arena, column_declared_type(was),
                    column_declared_typmod(was)),
                type_format(ddl->context->env, ddl->arena, column_declared_type(is),
                    column_declared_typmod(is)));
        }
    }
    return ERR_OK;
}

static enum err
already_exists(struct ddl *ddl, const char *name)
{
    return diag_set(ddl->diag, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", name);
}

static enum err
replace_view(struct ddl *ddl, const struct ast_create_view *statement, const struct relation *old,
    const struct ddl__edit *made, const struct view_definition *definition)
{
    TRY(txn_lock_table(ddl->task, ddl->context->txn, old->oid, old->name, TXN_ACCESS_EXCLUSIVE,
        TXN_WAIT, ddl->diag));
    TRY(ddl__find_again(ddl, old->oid, &old));
    if (old->kind != RELATION_VIEW) {
        return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a view", old->name);
    }
    TRY(check_replaced(ddl, old, &made->relation));
    struct dependents above;
    find_dependents(ddl, old->oid, 0, &above);
    for (uint32_t i = 0; i < definition->use_count; i++) {
        oid_t on = definition->uses[i].relation;
        if (on == old->oid || has_oid(above.views, above.count, on)) {
            return diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
                "infinite recursion detected in rules for relation \"%s\"", old->name);
        }
    }
    (void)statement;
    struct ddl__edit *edit = ddl__edit_new(ddl, old);
    edit->relation.column_count = made->relation.column_count;
    edit->columns = made->columns;
    edit->relation.view_text = made->relation.view_text;
    edit->relation.check_option = made->relation.check_option;
    return ddl__edit_store(ddl, edit);
}

/* Of what is temporary there are temporary views only. */
static bool
is_temporary(struct ddl *ddl, const struct ast_create_view *statement,
    const struct view_definition *definition)
{
    if (statement->persistence == AST_TEMPORARY) {
        return true;
    }
    for (uint32_t i = 0; i < definition->use_count; i++) {
        const struct relation *on =
            catalog_relation_by_oid(ddl->catalog, definition->uses[i].relation);
        if (on != NULL && relation_is_temporary(on)) {
            ddl__notice(ddl, ERR_OK, "view \"%s\" will be a temporary view", statement->view->name);
            return true;
        }
    }
    return false;
}

static enum err
check_updatable(struct ddl *ddl, const struct relation *view)
{
    const char *why;
    TRY(ddl->context->hooks->view_refused(ddl->task, ddl->context, view, "insert into", &why));
    if (why == NULL) {
        return ERR_OK;
    }
    enum err err = diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
        "WITH CHECK OPTION is supported only on automatically updatable views");
    diag_hint(ddl->diag, "%s", why);
    return err;
}

enum err
ddl__create_view(struct ddl *ddl, const struct ast_create_view *statement)
{
    struct ddl_context *context = ddl->context;
    char check_option;
    TRY(refuse(ddl, statement, &check_option));
    struct ddl__edit *edit = ddl__edit_new(ddl, NULL);
    struct relation *view = &edit->relation;
    view->check_option = check_option;
    view->kind = RELATION_VIEW;
    view->name = statement->view->name;
    view->owner = context->owner;
    struct view_definition definition;
    TRY(context->hooks->describe_view(
        ddl->task, context, context->text, statement->query, NULL, &definition));
    TRY(ddl__placement(ddl, statement->view, is_temporary(ddl, statement, &definition),
        &view->schema, &view->schema_name));
    view->view_text = definition.text;
    TRY(view_columns(ddl, statement, &definition, edit));
    struct view_definition again;
    if (!describe(ddl, view, NULL, &again) || again.column_count != definition.column_count) {
        return ddl__unsupported(ddl, "keeping this query as a view", -1);
    }
    TRY(check_option == 0 ? ERR_OK : check_updatable(ddl, view));
    const struct relation *other;
    const struct index *index;
    ddl__in_schema(ddl, view->schema_name, view->name, &other, &index);
    if (other != NULL && statement->replace && index == NULL) {
        return replace_view(ddl, statement, other, edit, &definition);
    }
    if (other != NULL) {
        return already_exists(ddl, view->name);
    }
    TRY(ddl__check_no_type(ddl, view->schema_name, view->name));
    bool taken;
    TRY(catalog_new_oid(ddl->task, context->store, &view->oid, ddl->diag));
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION,
        view->schema, view->name, view->oid, &taken, ddl->diag));
    if (taken) {
        return already_exists(ddl, view->name);
    }
    /* What it looks at must not go before this is committed. */
    for (uint32_t i = 0; i < definition.use_count; i++) {
        const struct relation *on =
            catalog_relation_by_oid(ddl->catalog, definition.uses[i].relation);
        if (definition.uses[i].relation >= TYPE_USER_FIRST) {
            TRY(ddl__hold_type(ddl, definition.uses[i].relation));
        }
        if (definition.uses[i].column == 0 && on != NULL && on->kind != RELATION_VIRTUAL) {
            TRY(txn_lock_table(
                ddl->task, context->txn, on->oid, on->name, TXN_ACCESS_SHARE, TXN_WAIT, ddl->diag));
            TRY(ddl__find_again(ddl, definition.uses[i].relation, &on));
        }
    }
    TRY(txn_lock_table(
        ddl->task, context->txn, view->oid, view->name, TXN_ACCESS_EXCLUSIVE, TXN_WAIT, ddl->diag));
    return ddl__edit_store(ddl, edit);
}

/* ---- materialized views ------------------------------------------------------------------------
 */

enum err
ddl__define_materialized(
    struct ddl *ddl, struct relation *relation, const struct ast_create_table *statement)
{
    struct ddl_context *context = ddl->context;
    struct view_definition definition, again;
    TRY(context->hooks->describe_view(
        ddl->task, context, NULL, statement->materialized, NULL, &definition));
    for (uint32_t i = 0; i < definition.use_count; i++) {
        const struct relation *on =
            catalog_relation_by_oid(ddl->catalog, definition.uses[i].relation);
        if (on != NULL && relation_is_temporary(on)) {
            return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "materialized views must not use temporary tables or views");
        }
    }
    relation->view_text = definition.text;
    relation->populated = statement->populated;
    if (!describe(ddl, relation, NULL, &again) || again.column_count != definition.column_count) {
        return ddl__unsupported(ddl, "keeping this query as a view", -1);
    }
    return ERR_OK;
}

static enum err
check_refreshed(struct ddl *ddl, const struct relation *relation)
{
    return ddl__check_owner(ddl, relation->owner,
        relation_is_materialized(relation) ? "materialized view" : "table", relation->name);
}

static bool
has_unique_index(const struct relation *relation)
{
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        bool plain = index->unique && index->partial == 0;
        for (uint16_t c = 0; c < index->column_count; c++) {
            plain = plain && index->columns[c] < INDEX_DERIVED;
        }
        if (plain) {
            return true;
        }
    }
    return false;
}

enum err
ddl__refresh_view(struct ddl *ddl, const struct ast_refresh *statement)
{
    const struct relation *view;
    if (statement->concurrently && statement->with_no_data) {
        return diag_set(
            ddl->diag, ERR_SYNTAX, "CONCURRENTLY and WITH NO DATA options cannot be used together");
    }
    TRY(ddl__lock_relation_as(ddl, statement->view,
        statement->concurrently ? TXN_EXCLUSIVE : TXN_ACCESS_EXCLUSIVE, false, check_refreshed,
        &view));
    if (!relation_is_materialized(view)) {
        return diag_set(
            ddl->diag, ERR_FEATURE_NOT_SUPPORTED, "\"%s\" is not a materialized view", view->name);
    }
    if (statement->concurrently && !view->populated) {
        return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
            "CONCURRENTLY cannot be used when the materialized view is not populated");
    }
    if (statement->concurrently && !has_unique_index(view)) {
        (void)diag_set(ddl->diag, ERR_OBJECT_STATE,
            "cannot refresh materialized view \"%s.%s\" concurrently", view->schema_name,
            view->name);
        diag_hint(ddl->diag, "Create a unique index with no WHERE clause on one or more columns "
                             "of the materialized view.");
        return ERR_OBJECT_STATE;
    }
    if (statement->concurrently) {
        return ERR_OK;
    }
    TRY(catalog_row_ids_settle(ddl->task, ddl->context->store, view, ddl->diag));
    struct ddl__edit *edit = ddl__edit_new(ddl, view);
    edit->relation.populated = !statement->with_no_data;
    TRY(ddl__new_trees(ddl, edit, true, NULL));
    return ddl__edit_store(ddl, edit);
}
