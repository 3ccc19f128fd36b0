/*
 * sql/ddl/type.c - CREATE TYPE .. AS ENUM, ALTER TYPE, DROP TYPE.
 *
 * Who looks at a type: columns of it or of its array; texts of defaults, checks and generated
 * columns, which name it with its schema (ddl__type_names); views, which are asked as for relations
 * (view.c). CREATE TABLE and CREATE VIEW lock the types they use ACCESS SHARE, DROP TYPE and ALTER
 * TYPE ACCESS EXCLUSIVE; statements that only read or write rows do not lock them, because a value
 * once stored keeps its meaning (sql/catalog/type.c).
 */
#include "base/assert.h"
#include "parser/deparse.h"
#include "sql/ddl/ddl_internal.h"
#include "sql/plan/plan.h"

/* ---- finding --------------------------------------------------------------------------------- */

static const char *
shown_name(struct ddl *ddl, const struct ast_table *name)
{
    return name->schema == NULL ? name->name
                                : arena_printf(ddl->arena, "%s.%s", name->schema, name->name);
}

enum err
ddl__undefined_type(struct ddl *ddl, const struct ast_table *name)
{
    if (name->schema != NULL && catalog_schema(ddl->catalog, name->schema) == 0) {
        return diag_set(
            ddl->diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", name->schema);
    }
    return diag_set(
        ddl->diag, ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist", shown_name(ddl, name));
}

static enum err
already_exists(struct ddl *ddl, const char *name)
{
    return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT, "type \"%s\" already exists", name);
}

enum err
ddl__lock_type(struct ddl *ddl, const struct ast_table *name, enum txn_table_lock mode,
    const struct user_type **type)
{
    struct ddl_context *context = ddl->context;
    oid_t locked = 0;
    for (;;) {
        TRY(ddl__refresh(ddl));
        *type = catalog_type_on(ddl->catalog, context->env->search_path, name->schema, name->name);
        if (*type == NULL || (*type)->oid == locked) {
            return ERR_OK;
        }
        TRY(txn_lock_table(
            ddl->task, context->txn, (*type)->oid, (*type)->name, mode, TXN_WAIT, ddl->diag));
        locked = (*type)->oid; /* D1 */
    }
}

enum err
ddl__check_no_type(struct ddl *ddl, const char *schema, const char *name)
{
    if (catalog_type_on(ddl->catalog, NULL, schema, name) == NULL) {
        return ERR_OK;
    }
    enum err err = already_exists(ddl, name);
    diag_hint(ddl->diag, "A relation has an associated type of the same name, so you must use a "
                         "name that doesn't conflict with any existing type.");
    return err;
}

enum err
ddl__hold_type(struct ddl *ddl, oid_t oid)
{
    const struct user_type *type = catalog_type(ddl->catalog, oid);
    ASSERT(type != NULL);
    TRY(txn_lock_table(ddl->task, ddl->context->txn, type->oid, type->name, TXN_ACCESS_SHARE,
        TXN_WAIT, ddl->diag));
    const char *name = type->name;
    TRY(ddl__refresh(ddl));
    return catalog_type(ddl->catalog, oid) != NULL
               ? ERR_OK
               : diag_set(ddl->diag, ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist", name);
}

/* The built-in type that is called so. */
static const struct type *
builtin(const struct ast_table *name)
{
    size_t count;
    const struct type *all = type_all(&count);
    bool plain = name->schema == NULL || strcmp(name->schema, "pg_catalog") == 0;
    for (size_t i = 0; plain && i < count; i++) {
        if (strcmp(all[i].name, name->name) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

static enum err
lock_own_type(struct ddl *ddl, const struct ast_table *name, const struct user_type **type)
{
    TRY(ddl__lock_type(ddl, name, TXN_ACCESS_EXCLUSIVE, type));
    if (*type == NULL) {
        const struct type *known = builtin(name);
        return known == NULL ? ddl__undefined_type(ddl, name)
                             : diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "%s is not an enum",
                                   known->sql_name);
    }
    return ddl__check_owner(ddl, (*type)->owner, "type", (*type)->name);
}

enum err
ddl__store_type(struct ddl *ddl, const struct user_type *type)
{
    struct ddl_context *context = ddl->context;
    TRY(catalog_type_put(ddl->task, context->store, context->txn, type, ddl->diag));
    return ddl__changed(ddl);
}

/* ---- CREATE TYPE ----------------------------------------------------------------------------- */

static enum err
check_label(struct ddl *ddl, const char *label)
{
    if (strlen(label) <= NAME_MAX_BYTES) {
        return ERR_OK;
    }
    enum err err = diag_set(ddl->diag, ERR_INVALID_NAME, "invalid enum label \"%s\"", label);
    diag_detail(ddl->diag, "Labels must be %d bytes or less.", NAME_MAX_BYTES);
    return err;
}

static enum err
read_labels(struct ddl *ddl, const struct ast_list *values, struct user_type *type)
{
    uint32_t count = ast_list_count(values);
    struct type_label *labels = arena_array(ddl->arena, (size_t)count + 1, sizeof *labels);
    type->labels = labels;
    for (uint32_t i = 0; i < count; i++) {
        const char *label = ast_as_const(ast_list_at(values, i))->text;
        TRY(check_label(ddl, label));
        if (user_type_label(type, slice_of(label, strlen(label))) != NULL) {
            enum err err = diag_set(ddl->diag, ERR_UNIQUE,
                "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"");
            diag_detail(
                ddl->diag, "Key (enumtypid, enumlabel)=(%u, %s) already exists.", type->oid, label);
            return err;
        }
        labels[i].name = label;
        labels[i].position = (int64_t)(i + 1) << TYPE_LABEL_GAP_BITS;
        TRY(catalog_new_oid(ddl->task, ddl->context->store, &labels[i].oid, ddl->diag));
        type->label_count = i + 1;
    }
    return ERR_OK;
}

enum err
ddl__claim_type(struct ddl *ddl, const struct user_type *type)
{
    struct ddl_context *context = ddl->context;
    const struct relation *relation;
    const struct index *index;
    ddl__in_schema(ddl, type->schema_name, type->name, &relation, &index);
    if ((relation != NULL && index == NULL) ||
        catalog_type_on(ddl->catalog, NULL, type->schema_name, type->name) != NULL) {
        return already_exists(ddl, type->name); /* a table's rows are of a type of its name */
    }
    bool taken;
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_TYPE, type->schema,
        type->name, type->oid, &taken, ddl->diag));
    return taken ? already_exists(ddl, type->name) : ERR_OK;
}

static enum err
release_name(struct ddl *ddl, const struct user_type *type)
{
    struct ddl_context *context = ddl->context;
    return catalog_name_remove(ddl->task, context->store, context->txn, CATALOG_NAME_TYPE,
        type->schema, type->name, ddl->diag);
}

enum err
ddl__new_type_oid(struct ddl *ddl, oid_t first, struct user_type *type)
{
    oid_t number;
    TRY(catalog_new_oid(ddl->task, ddl->context->store, &number, ddl->diag));
    if (number >= (TYPE_DOMAIN_END - TYPE_DOMAIN_FIRST) / 2) {
        return diag_set(
            ddl->diag, ERR_PROGRAM_LIMIT, "all identifiers of types have been given away");
    }
    type->oid = first + 2 * number;
    type->array_oid = type->oid + 1;
    return ERR_OK;
}

enum err
ddl__create_enum(struct ddl *ddl, const struct ast_create_enum *statement)
{
    struct ddl_context *context = ddl->context;
    const struct ast_table name = {.node = {.kind = AST_TABLE, .location = -1},
        .schema = statement->schema,
        .name = statement->name};
    struct user_type type = {.name = statement->name, .owner = context->owner};
    TRY(ddl__creation_schema(ddl, &name, &type.schema, &type.schema_name));
    TRY(ddl__new_type_oid(ddl, TYPE_USER_FIRST, &type));
    TRY(read_labels(ddl, statement->values, &type));
    TRY(ddl__claim_type(ddl, &type));
    return ddl__store_type(ddl, &type);
}

/* ---- what looks at a type -------------------------------------------------------------------- */

struct type_names {
    struct ddl *ddl;
    const struct user_type *of; /* is it mentioned? */
    const char *schema, *name;  /* its name from now on; NULL: as it is */
    bool any, mentioned;
};

static const char *
write_type(void *arg, const struct ast_type *ast)
{
    struct type_names *names = arg;
    struct arena *arena = names->ddl->arena;
    const struct type *found = type_named(names->ddl->context->env, ast->schema, ast->name);
    const struct user_type *type = found == NULL || found->oid < TYPE_USER_FIRST
                                       ? NULL
                                       : catalog_type(names->ddl->catalog, found->oid);
    if (type == NULL) {
        return NULL;
    }
    names->any = true;
    bool it = names->of != NULL && type->oid == names->of->oid;
    names->mentioned = names->mentioned || it;
    bool renamed = it && names->name != NULL;
    bool array = ast->array_dimensions > 0 || found->oid == type->array_oid;
    return arena_printf(arena, "%s.%s%s",
        parser_quote_ident(arena, renamed ? names->schema : type->schema_name),
        parser_quote_ident(arena, renamed ? names->name : type->name), array ? "[]" : "");
}

/* The text with the names of types written out; the same pointer if it names none. */
static const char *
rewrite_names(struct type_names *names, const char *text)
{
    struct ast_node *expr;
    struct diag unheard = {0};
    if (parser_parse_expression(names->ddl->arena, text, strlen(text), &expr, &unheard) != ERR_OK) {
        return text;
    }
    const struct parser_deparse style = {
        .arena = names->ddl->arena, .keep = true, .pretty = true, .arg = names, .type = write_type};
    struct buffer to = {0};
    parser_deparse_expression(&style, expr, &to);
    const char *written =
        names->any ? arena_strndup(names->ddl->arena, (const char *)to.data, to.size) : text;
    buffer_destroy(&to);
    return written;
}

const char *
ddl__type_names(struct ddl *ddl, const char *text)
{
    struct type_names names = {.ddl = ddl};
    return rewrite_names(&names, text);
}

static bool
mentions(struct ddl *ddl, const char *text, const struct user_type *type)
{
    struct type_names names = {.ddl = ddl, .of = type};
    if (text != NULL) {
        (void)rewrite_names(&names, text);
    }
    return names.mentioned;
}

static bool
column_is_of(const struct column *column, const struct user_type *type)
{
    return !column->dropped &&
           (column->type == type->oid || column->type == type->array_oid ||
               column->domain == type->oid || column->domain == type->array_oid);
}

/* Is the domain made of the type? */
static bool
domain_is_of(struct ddl *ddl, const struct user_type *domain, const struct user_type *type)
{
    bool uses =
        domain->oid != type->oid && (domain->base == type->oid || domain->base == type->array_oid ||
                                        mentions(ddl, domain->default_text, type));
    for (uint16_t i = 0; i < domain->check_count && !uses && domain->oid != type->oid; i++) {
        uses = mentions(ddl, domain->checks[i].text, type);
    }
    return uses;
}

/* ---- DROP TYPE ------------------------------------------------------------------------------- */

/* What a table loses with the type, one thing at a time. */
struct type_user {
    oid_t table;
    const char *column;     /* NULL: not a column .. */
    const char *constraint; /* .. but this, or (NULL) the default of: */
    const char *defaulted;
    oid_t domain; /* not 0: no table, but this */
    const char *words;
};

static void
add_user(
    struct ddl *ddl, struct type_user *users, size_t *count, size_t *room, struct type_user user)
{
    (void)ddl;
    ASSERT(*count < *room);
    users[(*count)++] = user;
}

static struct type_user *
users_of(struct ddl *ddl, const struct user_type *type, size_t *count)
{
    size_t room = 0;
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        room +=
            table->kind == RELATION_TABLE ? (size_t)table->column_count + table->check_count : 0;
    }
    const struct user_type *domain;
    for (size_t i = 0; (domain = catalog_type_at(ddl->catalog, i)) != NULL; i++) {
        room++;
    }
    struct type_user *users = arena_array(ddl->arena, room + 1, sizeof *users);
    *count = 0;
    for (size_t i = 0; (domain = catalog_type_at(ddl->catalog, i)) != NULL; i++) {
        if (domain_is_of(ddl, domain, type)) {
            add_user(ddl, users, count, &room,
                (struct type_user){.domain = domain->oid,
                    .words = arena_printf(ddl->arena, "type %s",
                        type_format(ddl->context->env, ddl->arena, domain->oid, -1))});
        }
    }
    for (size_t i = 0; (table = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        if (table->kind != RELATION_TABLE) {
            continue;
        }
        for (uint16_t c = 0; c < table->column_count; c++) {
            const struct column *column = &table->columns[c];
            bool generated = column->generated && mentions(ddl, column->default_text, type);
            if (column_is_of(column, type) || generated) {
                add_user(ddl, users, count, &room,
                    (struct type_user){.table = table->oid,
                        .column = column->name,
                        .words = arena_printf(
                            ddl->arena, "column %s of table %s", column->name, table->name)});
            } else if (mentions(ddl, column->default_text, type)) {
                add_user(ddl, users, count, &room,
                    (struct type_user){.table = table->oid,
                        .defaulted = column->name,
                        .words = arena_printf(ddl->arena, "default value for column %s of table %s",
                            column->name, table->name)});
            }
        }
        for (uint16_t c = 0; c < table->check_count; c++) {
            if (mentions(ddl, table->checks[c].text, type)) {
                add_user(ddl, users, count, &room,
                    (struct type_user){.table = table->oid,
                        .constraint = table->checks[c].name,
                        .words = arena_printf(ddl->arena, "constraint %s on table %s",
                            table->checks[c].name, table->name)});
            }
        }
    }
    return users;
}

static enum err
drop_user(struct ddl *ddl, const struct type_user *user)
{
    if (user->domain != 0) {
        return catalog_type(ddl->catalog, user->domain) == NULL
                   ? ERR_OK
                   : ddl__drop_user_type(ddl, user->domain, true, true);
    }
    const struct relation *table = catalog_relation_by_oid(ddl->catalog, user->table);
    if (table == NULL) {
        return ERR_OK;
    }
    TRY(txn_lock_table(ddl->task, ddl->context->txn, table->oid, table->name, TXN_ACCESS_EXCLUSIVE,
        TXN_WAIT, ddl->diag));
    TRY(ddl__find_again(ddl, user->table, &table));
    if (user->column != NULL) {
        return relation_column(table, user->column) < 0
                   ? ERR_OK
                   : ddl__drop_column(ddl, table, user->column);
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, table);
    if (user->constraint == NULL) {
        int column = relation_column(table, user->defaulted);
        if (column >= 0) {
            edit->columns[column].default_text = NULL;
        }
        return ddl__edit_store(ddl, edit);
    }
    for (uint16_t i = edit->relation.check_count; i-- > 0;) {
        if (strcmp(edit->checks[i].name, user->constraint) == 0) {
            ddl__edit_remove_check(edit, i);
        }
    }
    return ddl__edit_store(ddl, edit);
}

static enum err
still_needed(
    struct ddl *ddl, const struct user_type *type, const struct type_user *users, size_t count)
{
    const char *name = type_format(ddl->context->env, ddl->arena, type->oid, -1);
    enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
        "cannot drop type %s because other objects depend on it", name);
    struct buffer detail = {0};
    for (size_t i = 0; i < count && detail.size < DIAG_TEXT_MAX; i++) {
        buffer_printf(&detail, "%s%s depends on type %s", i == 0 ? "" : "\n", users[i].words, name);
    }
    diag_detail(ddl->diag, "%.*s", (int)detail.size, (const char *)detail.data);
    diag_hint(ddl->diag, "Use DROP ... CASCADE to drop the dependent objects too.");
    buffer_destroy(&detail);
    return err;
}

enum err
ddl__drop_user_type(struct ddl *ddl, oid_t oid, bool cascade, bool quiet)
{
    struct ddl_context *context = ddl->context;
    const struct user_type *type = catalog_type(ddl->catalog, oid);
    size_t count;
    struct type_user *users = users_of(ddl, type, &count);
    if (count > 0 && !cascade) {
        return still_needed(ddl, type, users, count);
    }
    if (count == 1 && !quiet) {
        ddl__notice(ddl, ERR_OK, "drop cascades to %s", users[0].words);
    } else if (count > 1 && !quiet) {
        ddl__notice(ddl, ERR_OK, "drop cascades to %zu other objects", count);
    }
    TRY(ddl__drop_dependents(ddl, oid, 0, cascade, NULL, 0));
    for (size_t i = 0; i < count; i++) {
        TRY(drop_user(ddl, &users[i]));
    }
    type = catalog_type(ddl->catalog, oid);
    TRY(release_name(ddl, type));
    TRY(catalog_type_remove(ddl->task, context->store, context->txn, oid, ddl->diag));
    return ddl__changed(ddl);
}

enum err
ddl__drop_type(
    struct ddl *ddl, const struct ast_drop *statement, const struct ast_table *name, bool *found)
{
    const struct user_type *type;
    TRY(ddl__lock_type(ddl, name, TXN_ACCESS_EXCLUSIVE, &type));
    *found = type != NULL;
    if (statement->object == AST_OBJECT_DOMAIN &&
        (type != NULL ? !type_has_domain(type->oid) : builtin(name) != NULL)) {
        *found = true;
        return diag_set(
            ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a domain", shown_name(ddl, name));
    }
    if (type == NULL) {
        const struct type *known = builtin(name);
        known = known != NULL ? known : type_named(ddl->context->env, name->schema, name->name);
        if (known != NULL && known->oid > TYPE_USER_FIRST) {
            *found = true;
            return diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
                "cannot drop type %s because type %s requires it",
                type_format(ddl->context->env, ddl->arena, known->oid, -1),
                type_format(ddl->context->env, ddl->arena, known->element, -1));
        }
        if (known != NULL) {
            *found = true;
            return diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
                "cannot drop type %s because it is required by the database system",
                known->sql_name);
        }
        return ERR_OK;
    }
    TRY(ddl__check_owner(ddl, type->owner, "type", type->name));
    return ddl__drop_user_type(ddl, type->oid, statement->cascade, false);
}

/* ---- texts that follow ----------------------------------------------------------------------- */

/* A text in which the type was named or one of its labels written, with what it is bound to. */
struct follower {
    struct follower *next;
    oid_t table;
    uint16_t column; /* UINT16_MAX: a check .. */
    uint16_t check;
    const char *text;
    const struct expr *expr;
};

static void
add_follower(struct ddl *ddl, struct follower **list, struct follower follower)
{
    struct follower *item = arena_alloc(ddl->arena, sizeof *item);
    *item = follower;
    item->next = *list;
    *list = item;
}

/* A domain as a table of one column "value": its default and checks are those of a table. */
const struct relation *
ddl__domain_relation(struct ddl *ddl, const struct user_type *domain)
{
    struct relation *relation = arena_alloc(ddl->arena, sizeof *relation);
    struct column *column = arena_alloc(ddl->arena, sizeof *column);
    *column = (struct column){
        .name = "value", .default_text = domain->default_text, .typmod = domain->typmod};
    column->type = catalog_base_type(ddl->catalog, domain->base, &column->typmod);
    *relation = (struct relation){.oid = domain->oid,
        .kind = RELATION_TABLE,
        .name = domain->name,
        .schema = domain->schema,
        .schema_name = domain->schema_name,
        .column_count = 1,
        .columns = column,
        .check_count = domain->check_count,
        .checks = domain->checks};
    return relation;
}

typedef enum err visit_text(struct ddl *ddl, void *arg, const struct relation *table,
    uint16_t column, uint16_t check, const char *text);

static enum err
texts_of(struct ddl *ddl, const struct relation *table, visit_text *visit, void *arg)
{
    for (uint16_t c = 0; c < table->column_count; c++) {
        if (table->columns[c].default_text != NULL) {
            TRY(visit(ddl, arg, table, c, 0, table->columns[c].default_text));
        }
    }
    for (uint16_t c = 0; c < table->check_count; c++) {
        TRY(visit(ddl, arg, table, UINT16_MAX, c, table->checks[c].text));
    }
    return ERR_OK;
}

/* All texts that are kept with tables and domains, one call each. */
static enum err
each_text(struct ddl *ddl, visit_text *visit, void *arg)
{
    const struct relation *table;
    const struct user_type *type;
    size_t at = 0;
    for (size_t i = 0; (table = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        if (table->kind == RELATION_TABLE) {
            TRY(texts_of(ddl, table, visit, arg));
        }
    }
    for (; (type = catalog_type_at(ddl->catalog, at)) != NULL; at++) {
        if (type_has_domain(type->oid)) {
            TRY(texts_of(ddl, ddl__domain_relation(ddl, type), visit, arg));
        }
    }
    return ERR_OK;
}

struct rename_visit {
    struct type_names names;
    struct follower *followers;
};

static enum err
visit_rename(struct ddl *ddl, void *arg, const struct relation *table, uint16_t column,
    uint16_t check, const char *text)
{
    struct rename_visit *visit = arg;
    visit->names.any = visit->names.mentioned = false;
    const char *written = rewrite_names(&visit->names, text);
    if (visit->names.mentioned) {
        add_follower(ddl, &visit->followers,
            (struct follower){
                .table = table->oid, .column = column, .check = check, .text = written});
    }
    return ERR_OK;
}

/* Does the expression hold a value of the type? */
static bool
holds_value(const struct expr *expr, const struct user_type *type, uint32_t depth)
{
    if (expr->kind == EXPR_CONST) {
        return expr->type == type->oid || expr->type == type->array_oid;
    }
    bool found = false;
    for (uint32_t i = 0; i < expr->count && !found && depth < AST_DEPTH_MAX; i++) {
        found = holds_value(expr->list[i], type, depth + 1);
    }
    return found;
}

struct label_visit {
    const struct user_type *type;
    struct follower *followers;
};

static enum err
visit_label(struct ddl *ddl, void *arg, const struct relation *table, uint16_t column,
    uint16_t check, const char *text)
{
    struct label_visit *visit = arg;
    bool of_column = column != UINT16_MAX;
    const struct column *of = of_column ? &table->columns[column] : NULL;
    struct expr *expr;
    TRY(ddl__bind(ddl, text, -1, of_column && !of->generated ? NULL : table,
        of_column ? of->type : TYPE_BOOL, of_column ? of->typmod : -1, &expr));
    if (holds_value(expr, visit->type, 0)) {
        add_follower(ddl, &visit->followers,
            (struct follower){
                .table = table->oid, .column = column, .check = check, .text = text, .expr = expr});
    }
    return ERR_OK;
}

/* The texts as they now must be; bound once more, for who can no longer be understood must not be
 * kept. */
static enum err
follow(struct ddl *ddl, const struct follower *followers)
{
    for (; followers != NULL; followers = followers->next) {
        const struct relation *table;
        const struct user_type *domain =
            type_has_domain(followers->table) ? catalog_type(ddl->catalog, followers->table) : NULL;
        if (domain != NULL) {
            table = ddl__domain_relation(ddl, domain);
        } else {
            TRY(ddl__find_again(ddl, followers->table, &table));
        }
        const char *text = followers->text;
        if (followers->expr != NULL) {
            TRY(ddl__column_names(ddl, table, text, followers->expr, &text));
        }
        struct ddl__edit *edit = ddl__edit_new(ddl, table);
        struct expr *expr;
        struct column *column = NULL;
        if (followers->column == UINT16_MAX) {
            edit->checks[followers->check].text = text;
        } else {
            column = &edit->columns[followers->column];
            column->default_text = text;
        }
        if (ddl__bind(ddl, text, -1, column != NULL && !column->generated ? NULL : table,
                column != NULL ? column->type : TYPE_BOOL, column != NULL ? column->typmod : -1,
                &expr) != ERR_OK) {
            return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "cannot rename: an expression of table %s could not follow", table->name);
        }
        TRY(domain != NULL ? ddl__store_domain(ddl, domain, edit) : ddl__edit_store(ddl, edit));
    }
    return ERR_OK;
}

/* ---- ALTER TYPE .. ADD VALUE, RENAME VALUE --------------------------------------------------- */

static enum err
no_such_label(struct ddl *ddl, const char *label)
{
    return diag_set(
        ddl->diag, ERR_INVALID_PARAMETER_VALUE, "\"%s\" is not an existing enum label", label);
}

static enum err
rename_value(struct ddl *ddl, const struct user_type *type, const struct ast_alter_enum *statement)
{
    const char *to = statement->rename_to;
    const struct type_label *label =
        user_type_label(type, slice_of(statement->value, strlen(statement->value)));
    TRY(check_label(ddl, to));
    if (label == NULL) {
        return no_such_label(ddl, statement->value);
    }
    if (user_type_label(type, slice_of(to, strlen(to))) != NULL) {
        return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT, "enum label \"%s\" already exists", to);
    }
    struct label_visit visit = {.type = type};
    TRY(each_text(ddl, visit_label, &visit));
    const struct view_rename rename = {
        .relation = type->oid, .column = -1, .label = statement->value, .name = to};
    struct ddl__followers *views;
    TRY(ddl__find_followers(ddl, &rename, &views));
    struct user_type changed = *type;
    struct type_label *labels =
        arena_copy(ddl->arena, type->labels, type->label_count * sizeof *labels);
    labels[label - type->labels].name = to;
    changed.labels = labels;
    TRY(ddl__store_type(ddl, &changed));
    TRY(follow(ddl, visit.followers));
    return ddl__follow(ddl, views);
}

/* Where a new label goes, and its position. */
static enum err
place_label(struct ddl *ddl, const struct user_type *type, const struct ast_alter_enum *statement,
    uint32_t *at, int64_t *position)
{
    const int64_t gap = (int64_t)1 << TYPE_LABEL_GAP_BITS;
    *at = type->label_count;
    if (statement->neighbor != NULL) {
        const struct type_label *neighbor =
            user_type_label(type, slice_of(statement->neighbor, strlen(statement->neighbor)));
        if (neighbor == NULL) {
            return no_such_label(ddl, statement->neighbor);
        }
        *at = (uint32_t)(neighbor - type->labels) + (statement->before ? 0 : 1);
    }
    if (*at == type->label_count) {
        *position = *at == 0 ? gap : type->labels[*at - 1].position + gap;
        return ERR_OK;
    }
    int64_t above = type->labels[*at].position;
    int64_t below = *at == 0 ? above - 2 * gap : type->labels[*at - 1].position;
    *position = below + (above - below) / 2;
    if (*position == below) {
        enum err err = diag_set(ddl->diag, ERR_PROGRAM_LIMIT,
            "there is no room for another label between \"%s\" and \"%s\"",
            type->labels[*at - 1].name, type->labels[*at].name);
        diag_hint(ddl->diag, "Create the type anew with all labels, and change the columns' type.");
        return err;
    }
    return ERR_OK;
}

enum err
ddl__alter_enum(struct ddl *ddl, const struct ast_alter_enum *statement)
{
    const struct user_type *type;
    TRY(lock_own_type(ddl, statement->type, &type));
    if (!type_is_enum(type->oid)) {
        return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "%s is not an enum",
            type_format(ddl->context->env, ddl->arena, type->oid, -1));
    }
    if (statement->rename_to != NULL) {
        return rename_value(ddl, type, statement);
    }
    TRY(check_label(ddl, statement->value));
    if (user_type_label(type, slice_of(statement->value, strlen(statement->value))) != NULL) {
        if (statement->if_not_exists) {
            ddl__notice(ddl, ERR_DUPLICATE_OBJECT, "enum label \"%s\" already exists, skipping",
                statement->value);
            return ERR_OK;
        }
        return diag_set(
            ddl->diag, ERR_DUPLICATE_OBJECT, "enum label \"%s\" already exists", statement->value);
    }
    uint32_t at;
    struct type_label label = {.name = statement->value};
    TRY(place_label(ddl, type, statement, &at, &label.position));
    TRY(catalog_new_oid(ddl->task, ddl->context->store, &label.oid, ddl->diag));
    struct user_type changed = *type;
    struct type_label *labels =
        arena_array(ddl->arena, (size_t)type->label_count + 1, sizeof *labels);
    for (uint32_t i = 0; i < type->label_count; i++) {
        labels[i + (i >= at ? 1 : 0)] = type->labels[i];
    }
    labels[at] = label;
    changed.labels = labels;
    changed.label_count++;
    return ddl__store_type(ddl, &changed);
}

/* ---- ALTER TYPE .. RENAME TO, SET SCHEMA, OWNER TO ------------------------------------------- */

static enum err
move(struct ddl *ddl, const struct user_type *type, oid_t schema, const char *schema_name,
    const char *name)
{
    struct user_type moved = *type;
    moved.schema = schema;
    moved.schema_name = schema_name;
    moved.name = name;
    struct rename_visit visit = {
        .names = {.ddl = ddl, .of = type, .schema = schema_name, .name = name}};
    TRY(each_text(ddl, visit_rename, &visit));
    const struct view_rename rename = {
        .relation = type->oid, .column = -1, .schema_name = schema_name, .name = name};
    struct ddl__followers *views;
    TRY(ddl__find_followers(ddl, &rename, &views));
    TRY(ddl__claim_type(ddl, &moved));
    TRY(release_name(ddl, type));
    TRY(ddl__store_type(ddl, &moved));
    TRY(follow(ddl, visit.followers));
    return ddl__follow(ddl, views);
}

enum err
ddl__rename_type(struct ddl *ddl, const struct ast_table *name, bool domain, const char *to)
{
    const struct user_type *type;
    TRY(domain ? ddl__lock_own_domain(ddl, name, &type) : lock_own_type(ddl, name, &type));
    return move(ddl, type, type->schema, type->schema_name, to);
}

static enum err
set_schema(struct ddl *ddl, const struct user_type *type, const char *name)
{
    const struct ast_table target = {
        .node = {.kind = AST_TABLE, .location = -1}, .schema = name, .name = type->name};
    oid_t schema;
    const char *schema_name;
    oid_t oid = type->oid;
    TRY(ddl__creation_schema(ddl, &target, &schema, &schema_name));
    type = catalog_type(ddl->catalog, oid);
    return schema == type->schema ? ERR_OK : move(ddl, type, schema, schema_name, type->name);
}

enum err
ddl__alter_type(struct ddl *ddl, const struct ast_alter_table *statement)
{
    const struct user_type *type;
    TRY(statement->object == AST_OBJECT_DOMAIN ? ddl__lock_own_domain(ddl, statement->table, &type)
                                               : lock_own_type(ddl, statement->table, &type));
    const struct ast_alter_action *action = ast_as_alter_action(ast_list_at(statement->actions, 0));
    if (action->kind == AST_ALTER_SET_SCHEMA) {
        return set_schema(ddl, type, action->name);
    }
    if (action->kind != AST_ALTER_OWNER) {
        return type_has_domain(type->oid) ? ddl__alter_domain(ddl, type, action)
                                          : ddl__unsupported(ddl, "this form of ALTER TYPE", -1);
    }
    struct user_type changed = *type;
    TRY(ddl__new_owner(ddl, action->name, &changed.owner));
    return ddl__store_type(ddl, &changed);
}

enum err
ddl__comment_type(struct ddl *ddl, const struct ast_table *name, oid_t *oid)
{
    const struct user_type *type;
    TRY(lock_own_type(ddl, name, &type));
    *oid = type->oid;
    return ERR_OK;
}
