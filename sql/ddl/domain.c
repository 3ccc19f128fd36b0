/*
 * sql/ddl/domain.c - CREATE DOMAIN, ALTER DOMAIN.
 *
 * A domain's default and checks are handled as those of a table whose one column is called "value"
 * (ddl__domain_relation). A new condition is looked for in all columns of the domain, under a lock
 * that keeps writers of their tables out until the transaction ends; they then see the new picture.
 */
#include "base/assert.h"
#include "sql/ddl/ddl_internal.h"

enum err
ddl__store_domain(struct ddl *ddl, const struct user_type *domain, const struct ddl__edit *edit)
{
    struct user_type changed = *domain;
    changed.default_text = edit->columns[0].default_text;
    changed.check_count = edit->relation.check_count;
    changed.checks = edit->checks;
    return ddl__store_type(ddl, &changed);
}

/* ---- conditions ------------------------------------------------------------------------------ */

static enum err
check_form(struct ddl *ddl, const struct ast_constraint *constraint)
{
    const char *what = constraint->kind == AST_CONSTRAINT_UNIQUE      ? "unique"
                       : constraint->kind == AST_CONSTRAINT_PRIMARY   ? "primary key"
                       : constraint->kind == AST_CONSTRAINT_EXCLUDE   ? "exclusion"
                       : constraint->kind == AST_CONSTRAINT_FOREIGN   ? "foreign key"
                       : constraint->kind == AST_CONSTRAINT_IDENTITY  ? "identity"
                       : constraint->kind == AST_CONSTRAINT_GENERATED ? "generation"
                                                                      : NULL;
    enum err err = ERR_OK;
    if (what != NULL) {
        err = diag_set(ddl->diag, ERR_SYNTAX, "%s constraints not possible for domains", what);
    } else if (constraint->deferrable) {
        err = diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
            "specifying constraint deferrability not supported for domains");
    } else if (constraint->kind == AST_CONSTRAINT_CHECK && constraint->no_inherit) {
        err = diag_set(ddl->diag, ERR_INVALID_OBJECT_DEFINITION,
            "check constraints for domains cannot be marked NO INHERIT");
    }
    return err;
}

static enum err
add_check(struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint)
{
    struct ast_constraint named = *constraint;
    struct expr *expr;
    if (named.name == NULL) {
        named.name = ddl__choose_name(ddl, edit, NULL, "check", false);
    } else if (ddl__constraint_exists(&edit->relation, named.name)) {
        return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT,
            "constraint \"%s\" for domain \"%s\" already exists", named.name, edit->relation.name);
    }
    return ddl__add_check(ddl, edit, &named, -1, &expr);
}

/* Into the edit, whose one column is of the base type; NULL: none. */
static enum err
set_default(struct ddl *ddl, struct ddl__edit *edit, const struct ast_node *node, int32_t start,
    int32_t size)
{
    edit->columns[0].default_text = NULL;
    if (node == NULL || (node->kind == AST_CONST && ast_as_const(node)->kind == AST_CONST_NULL)) {
        return ERR_OK;
    }
    struct expr *expr;
    struct column column = edit->columns[0];
    column.name = edit->relation.name;
    const char *text = ddl__text(ddl, start, size);
    TRY(ddl__bind_default(ddl, &column, text, start, NULL, &expr));
    TRY(ddl__column_names(ddl, NULL, text, expr, &text));
    TRY(ddl__keep_column(ddl, &column, NULL, &text));
    return ddl__sequence_oids(ddl, text, &edit->columns[0].default_text);
}

/* ---- CREATE DOMAIN --------------------------------------------------------------------------- */

static enum err
resolve_base(struct ddl *ddl, const struct ast_create_domain *statement, struct user_type *domain)
{
    const struct ast_type *type = statement->type;
    enum err err = ddl__resolve_type(ddl, type, &domain->base, &domain->typmod);
    if (err != ERR_OK) {
        diag_position(ddl->diag, 0); /* PostgreSQL has none here */
        return err;
    }
    const struct type *base = type_by_oid(domain->base);
    if (base->category == CATEGORY_PSEUDO || base->category == CATEGORY_UNKNOWN) {
        return diag_set(ddl->diag, ERR_DATATYPE_MISMATCH,
            "\"%s\" is not a valid base type for a domain", type->name);
    }
    const struct user_type *under = catalog_type(ddl->catalog, domain->base);
    if (under != NULL && under->oid == domain->base && type_has_domain(under->oid)) {
        domain->default_text = under->default_text;
    }
    return ERR_OK;
}

static enum err
add_constraints(struct ddl *ddl, const struct ast_create_domain *statement,
    struct user_type *domain, struct ddl__edit *edit)
{
    bool said_null = false, said_default = false;
    AST_FOREACH(at, statement->constraints)
    {
        const struct ast_constraint *constraint = ast_as_constraint(*at);
        TRY(check_form(ddl, constraint));
        switch (constraint->kind) {
        case AST_CONSTRAINT_NULL:
            said_null = true;
            break;
        case AST_CONSTRAINT_NOT_NULL:
            domain->not_null = true;
            break;
        case AST_CONSTRAINT_DEFAULT:
            if (said_default) {
                return diag_set(ddl->diag, ERR_SYNTAX, "multiple default expressions");
            }
            said_default = true;
            TRY(set_default(
                ddl, edit, constraint->expr, constraint->expr_start, constraint->expr_size));
            break;
        default:
            TRY(add_check(ddl, edit, constraint));
        }
        if (said_null && domain->not_null) {
            return diag_set(ddl->diag, ERR_SYNTAX, "conflicting NULL/NOT NULL constraints");
        }
    }
    return ERR_OK;
}

enum err
ddl__create_domain(struct ddl *ddl, const struct ast_create_domain *statement)
{
    struct user_type domain = {
        .name = statement->domain->name, .owner = ddl->context->owner, .typmod = -1};
    TRY(ddl__creation_schema(ddl, statement->domain, &domain.schema, &domain.schema_name));
    TRY(resolve_base(ddl, statement, &domain));
    TRY(ddl__new_type_oid(ddl, TYPE_DOMAIN_FIRST, &domain));
    struct ddl__edit *edit = ddl__edit_new(ddl, ddl__domain_relation(ddl, &domain));
    TRY(add_constraints(ddl, statement, &domain, edit));
    TRY(ddl__claim_type(ddl, &domain));
    return ddl__store_domain(ddl, &domain, edit);
}

/* ---- ALTER DOMAIN ---------------------------------------------------------------------------- */

enum err
ddl__lock_own_domain(struct ddl *ddl, const struct ast_table *name, const struct user_type **type)
{
    TRY(ddl__lock_type(ddl, name, TXN_ACCESS_EXCLUSIVE, type));
    if (*type != NULL && type_has_domain((*type)->oid)) {
        return ddl__check_owner(ddl, (*type)->owner, "type", (*type)->name);
    }
    const struct type *other = type_named(ddl->context->env, name->schema, name->name);
    return other == NULL ? ddl__undefined_type(ddl, name)
                         : diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE, "%s is not a domain",
                               type_format(ddl->context->env, ddl->arena, other->oid, -1));
}

static bool
leads_to(const struct catalog *catalog, oid_t domain, oid_t to)
{
    while (type_has_domain(domain)) {
        domain &= ~(oid_t)1;
        const struct user_type *type = catalog_type(catalog, domain);
        if (domain == to || type == NULL) {
            return domain == to;
        }
        domain = type->base;
    }
    return false;
}

/* All columns of the domain and of domains over it. */
static enum err
verify_columns(struct ddl *ddl, oid_t domain)
{
    struct ddl_context *context = ddl->context;
    const struct relation *table;
    size_t count = 0;
    for (size_t i = 0; (table = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        count++;
    }
    oid_t *tables = arena_array(ddl->arena, count + 1, sizeof *tables);
    for (size_t i = 0; i < count; i++) {
        table = catalog_relation_at(ddl->catalog, i);
        tables[i] = table->kind == RELATION_TABLE ? table->oid : 0;
    }
    for (size_t i = 0; i < count; i++) {
        table = tables[i] == 0 ? NULL : catalog_relation_by_oid(ddl->catalog, tables[i]);
        bool locked = false;
        for (uint16_t c = 0; table != NULL && c < table->column_count; c++) {
            if (table->columns[c].dropped ||
                !leads_to(ddl->catalog, table->columns[c].domain, domain)) {
                continue;
            }
            if (!locked) {
                TRY(txn_lock_table(ddl->task, context->txn, table->oid, table->name, TXN_SHARE,
                    TXN_WAIT, ddl->diag));
                TRY(ddl__find_again(ddl, tables[i], &table)); /* D1 */
                locked = true;
                c = UINT16_MAX; /* from its first column */
                continue;
            }
            TRY(ddl__verify_domain(ddl, table, c));
        }
    }
    return ERR_OK;
}

static enum err
no_such_constraint(struct ddl *ddl, const struct user_type *domain, const char *name)
{
    return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
        "constraint \"%s\" of domain \"%s\" does not exist", name, domain->name);
}

static int
find_check(const struct user_type *domain, const char *name)
{
    for (int i = 0; i < domain->check_count; i++) {
        if (strcmp(domain->checks[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static enum err
add_constraint(
    struct ddl *ddl, const struct user_type *domain, const struct ast_constraint *constraint)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, ddl__domain_relation(ddl, domain));
    oid_t oid = domain->oid;
    TRY(check_form(ddl, constraint));
    if (constraint->kind != AST_CONSTRAINT_CHECK) {
        return ddl__unsupported(ddl, "this form of ALTER DOMAIN", constraint->node.location);
    }
    TRY(add_check(ddl, edit, constraint));
    TRY(ddl__store_domain(ddl, domain, edit));
    return constraint->not_valid ? ERR_OK : verify_columns(ddl, oid);
}

static enum err
drop_constraint(
    struct ddl *ddl, const struct user_type *domain, const struct ast_alter_action *action)
{
    int at = find_check(domain, action->name);
    if (at < 0 && action->if_exists) {
        ddl__notice(ddl, ERR_OK, "constraint \"%s\" of domain \"%s\" does not exist, skipping",
            action->name, domain->name);
        return ERR_OK;
    }
    if (at < 0) {
        return no_such_constraint(ddl, domain, action->name);
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, ddl__domain_relation(ddl, domain));
    oid_t oid = domain->checks[at].oid;
    ddl__edit_remove_check(edit, (uint16_t)at);
    TRY(catalog_comments_remove(ddl->task, ddl->context->store, ddl->context->txn,
        CATALOG_CLASS_CONSTRAINT, oid, ddl->diag));
    return ddl__store_domain(ddl, domain, edit);
}

static enum err
validate_constraint(struct ddl *ddl, const struct user_type *domain, const char *name)
{
    int at = find_check(domain, name);
    if (at < 0) {
        return no_such_constraint(ddl, domain, name);
    }
    oid_t oid = domain->oid;
    if (!domain->checks[at].not_valid) {
        return ERR_OK;
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, ddl__domain_relation(ddl, domain));
    edit->checks[at].not_valid = false;
    TRY(ddl__store_domain(ddl, domain, edit));
    return verify_columns(ddl, oid);
}

static enum err
set_not_null(struct ddl *ddl, const struct user_type *domain, bool not_null)
{
    struct user_type changed = *domain;
    if (changed.not_null == not_null) {
        return ERR_OK;
    }
    changed.not_null = not_null;
    TRY(ddl__store_type(ddl, &changed));
    return not_null ? verify_columns(ddl, changed.oid) : ERR_OK;
}

enum err
ddl__alter_domain(
    struct ddl *ddl, const struct user_type *domain, const struct ast_alter_action *action)
{
    switch (action->kind) {
    case AST_ALTER_SET_DEFAULT:
    case AST_ALTER_DROP_DEFAULT: {
        struct ddl__edit *edit = ddl__edit_new(ddl, ddl__domain_relation(ddl, domain));
        TRY(set_default(ddl, edit, action->kind == AST_ALTER_SET_DEFAULT ? action->expr : NULL,
            action->expr_start, action->expr_size));
        return ddl__store_domain(ddl, domain, edit);
    }
    case AST_ALTER_SET_NOT_NULL:
    case AST_ALTER_DROP_NOT_NULL:
        return set_not_null(ddl, domain, action->kind == AST_ALTER_SET_NOT_NULL);
    case AST_ALTER_ADD_CONSTRAINT:
        return add_constraint(ddl, domain, action->constraint);
    case AST_ALTER_DROP_CONSTRAINT:
        return drop_constraint(ddl, domain, action);
    case AST_ALTER_VALIDATE_CONSTRAINT:
        return validate_constraint(ddl, domain, action->name);
    default:
        return ddl__unsupported(ddl, "this form of ALTER DOMAIN", -1);
    }
}

enum err
ddl__rename_domain_constraint(
    struct ddl *ddl, const struct ast_table *name, const char *from, const char *to)
{
    const struct user_type *domain;
    TRY(ddl__lock_own_domain(ddl, name, &domain));
    int at = find_check(domain, from);
    if (at < 0) {
        return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT,
            "constraint \"%s\" for domain %s does not exist", from,
            type_format(ddl->context->env, ddl->arena, domain->oid, -1));
    }
    if (find_check(domain, to) >= 0) {
        return diag_set(ddl->diag, ERR_DUPLICATE_OBJECT,
            "constraint \"%s\" for domain %s already exists", to,
            type_format(ddl->context->env, ddl->arena, domain->oid, -1));
    }
    struct ddl__edit *edit = ddl__edit_new(ddl, ddl__domain_relation(ddl, domain));
    edit->checks[at].name = to;
    return ddl__store_domain(ddl, domain, edit);
}
