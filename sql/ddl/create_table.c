/* sql/ddl/create_table.c - CREATE TABLE, CREATE SCHEMA. */
#include "base/assert.h"
#include "sql/catalog/access.h"
#include "sql/catalog/sharding.h"
#include "sql/ddl/ddl_internal.h"

/* ---- what is refused
 * ------------------------------------------------------------------------------ */

static enum err
refuse(struct ddl *ddl, const struct ast_create_table *statement)
{
    const char *schema = statement->table->schema;
    bool temporary = statement->persistence == AST_TEMPORARY ||
                     (schema != NULL && strcmp(schema, "pg_temp") == 0);
    if (statement->on_commit != AST_ON_COMMIT_NONE && !temporary) {
        return diag_set(ddl->diag, ERR_INVALID_TABLE_DEFINITION,
            "ON COMMIT can only be used on temporary tables");
    }
    if (ast_list_count(statement->inherits) > 0) {
        return ddl__unsupported(ddl, "table inheritance", -1);
    }
    if (statement->partition_by != NULL) {
        return ddl__unsupported(ddl, "table partitioning", -1);
    }
    if (statement->access_method != NULL && strcmp(statement->access_method, "heap") != 0) {
        return diag_set(ddl->diag, ERR_UNDEFINED_OBJECT, "access method \"%s\" does not exist",
            statement->access_method);
    }
    TRY(ddl__check_tablespace(ddl, statement->tablespace));
    return ddl__check_options(ddl, statement->options, false);
}

/* ---- columns
 * ------------------------------------------------------------------------------------- */

static enum err
duplicate_column(struct ddl *ddl, const char *name, int32_t location)
{
    enum err err =
        diag_set(ddl->diag, ERR_DUPLICATE_COLUMN, "column \"%s\" specified more than once", name);
    return ddl__at(ddl, err, location);
}

static enum err
add_column(struct ddl *ddl, struct ddl__edit *edit, const struct ast_column_def *def)
{
    if (relation_column(&edit->relation, def->name) >= 0) {
        return duplicate_column(ddl, def->name, def->node.location);
    }
    uint16_t at;
    bool said_null;
    TRY(ddl__define_column(ddl, edit, def, &at));
    return ddl__column_constraints(ddl, edit, at, def, &said_null);
}

struct like_options {
    bool defaults, constraints, indexes, identity, generated;
};

static void
read_like_options(const struct ast_like_table *like, struct like_options *options)
{
    *options = (struct like_options){0};
    AST_FOREACH(at, like->options)
    {
        const char *option = ast_as_name(*at)->text;
        bool including = strncmp(option, "including ", strlen("including ")) == 0;
        const char *what = option + strlen("including "); /* "excluding " is as long */
        bool all = strcmp(what, "all") == 0;
        if (all || strcmp(what, "indexes") == 0) {
            options->indexes = including;
        }
        if (all || strcmp(what, "identity") == 0) {
            options->identity = including;
        }
        if (all || strcmp(what, "generated") == 0) {
            options->generated = including;
        }
        if (all || strcmp(what, "defaults") == 0) {
            options->defaults = including;
        }
        if (all || strcmp(what, "constraints") == 0) {
            options->constraints = including;
        }
    }
}

/* The indexes and keys of the other table, under names of our own. */
static enum err
copy_indexes(struct ddl *ddl, struct ddl__edit *edit, const struct relation *from)
{
    for (uint16_t i = 0; i < from->index_count; i++) {
        struct index index = from->indexes[i];
        index.oid = 0;
        index.tree.v = 0;
        index.name = NULL;
        index.included_layout = NULL; /* ddl__edit_complete */
        for (uint32_t c = 0; c < (uint32_t)index.column_count + index.included_count; c++) {
            uint16_t column = index.columns[c];
            index.columns[c] =
                column < INDEX_DERIVED
                    ? (uint16_t)relation_column(&edit->relation, from->columns[column].name)
                    : (uint16_t)(INDEX_DERIVED + ddl__edit_add_derived(ddl, edit,
                                                     &from->derived[column - INDEX_DERIVED]));
        }
        if (index.partial > 0) {
            index.partial =
                (uint16_t)(ddl__edit_add_derived(ddl, edit, &from->derived[index.partial - 1]) + 1);
        }
        const char *part = ddl__column_part(ddl->arena, &edit->relation, index.columns,
            (uint16_t)(index.column_count + index.included_count));
        index.name = ddl__choose_name(ddl, edit, index.primary ? NULL : part,
            index.primary      ? "pkey"
            : index.constraint ? "key"
                               : "idx",
            true);
        struct index *added = ddl__edit_add_index(ddl, edit);
        *added = index;
        if (index.primary) {
            edit->relation.primary = added;
        }
    }
    return ERR_OK;
}

/* The options of an identity column's sequence, as they would be written. */
static enum err
sequence_options(
    struct ddl *ddl, const struct relation *from, int column, const struct ast_list **options)
{
    const struct relation *owned = catalog_owned_sequence(ddl->catalog, from->oid, column);
    *options = NULL;
    if (owned == NULL) {
        return ERR_OK;
    }
    const struct sequence *has = owned->sequence;
    const char *text = arena_printf(ddl->arena,
        "CREATE SEQUENCE s INCREMENT %lld MINVALUE %lld MAXVALUE %lld START %lld CACHE %lld%s",
        (long long)has->increment, (long long)has->minimum, (long long)has->maximum,
        (long long)has->start, (long long)has->cache, has->cycle ? " CYCLE" : "");
    struct ast_list *list = NULL;
    TRY(parser_parse(ddl->arena, text, strlen(text), &list, ddl->diag));
    *options = ast_as_create_sequence(ast_as_statement(ast_list_at(list, 0))->body)->options;
    return ERR_OK;
}

static enum err
add_like(struct ddl *ddl, struct ddl__edit *edit, const struct ast_like_table *like)
{
    struct like_options options;
    const struct relation *from;
    read_like_options(like, &options);
    TRY(ddl__lock_relation(ddl, like->table, TXN_ACCESS_SHARE, false, &from));
    TRY(ddl__check_relation(ddl, from, PRIVILEGE_SELECT));
    for (uint16_t i = 0; i < from->column_count; i++) {
        const struct column *column = &from->columns[i];
        if (column->dropped) {
            continue;
        }
        if (relation_column(&edit->relation, column->name) >= 0) {
            return duplicate_column(ddl, column->name, like->node.location);
        }
        struct column *copy = ddl__edit_add_column(ddl, edit);
        *copy = *column;
        bool plain = column->identity == 0 && !column->generated;
        bool keep = plain ? options.defaults : column->generated && options.generated;
        copy->default_text = keep ? column->default_text : NULL;
        copy->generated = column->generated && options.generated;
        copy->identity = options.identity ? column->identity : 0;
        if (copy->identity != 0) {
            const struct ast_list *list;
            TRY(sequence_options(ddl, from, i, &list));
            TRY(ddl__column_sequence(
                ddl, edit, (uint16_t)(edit->relation.column_count - 1), list, true));
        }
    }
    for (uint16_t i = 0; options.constraints && i < from->check_count; i++) {
        struct check check = from->checks[i];
        TRY(catalog_new_oid(ddl->task, ddl->context->store, &check.oid, ddl->diag));
        *ddl__edit_add_check(ddl, edit) = check;
    }
    return options.indexes ? copy_indexes(ddl, edit, from) : ERR_OK;
}

/* ---- constraints
 * --------------------------------------------------------------------------------- */

/* Every PRIMARY KEY (or: every UNIQUE and CHECK) of columns and table. */
typedef enum err each_constraint(
    struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint, int column);

static enum err
for_constraints(struct ddl *ddl, struct ddl__edit *edit, const struct ast_create_table *statement,
    each_constraint *each)
{
    AST_FOREACH(element, statement->elements)
    {
        if ((*element)->kind == AST_CONSTRAINT) {
            TRY(each(ddl, edit, ast_as_constraint(*element), -1));
        } else if ((*element)->kind == AST_COLUMN_DEF) {
            const struct ast_column_def *def = ast_as_column_def(*element);
            int column = relation_column(&edit->relation, def->name);
            AST_FOREACH(at, def->constraints)
            {
                TRY(each(ddl, edit, ast_as_constraint(*at), column));
            }
        }
    }
    return ERR_OK;
}

static enum err
add_primary(
    struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint, int column)
{
    struct index *added;
    return constraint->kind == AST_CONSTRAINT_PRIMARY
               ? ddl__add_key(ddl, edit, constraint, column, &added)
               : ERR_OK;
}

/* An equal key said twice is one, as in PostgreSQL; it keeps whichever name was given. */
static void
merge_last_key(struct ddl__edit *edit, bool named)
{
    uint16_t last = (uint16_t)(edit->relation.index_count - 1);
    const struct index *b = &edit->indexes[last];
    for (uint16_t i = 0; i < last; i++) {
        struct index *a = &edit->indexes[i];
        if (a->column_count == b->column_count && a->included_count == b->included_count &&
            a->nulls_not_distinct == b->nulls_not_distinct &&
            memcmp(a->columns, b->columns,
                (size_t)(a->column_count + a->included_count) * sizeof a->columns[0]) == 0) {
            if (named) {
                a->name = b->name;
            }
            ddl__edit_remove_index(edit, last);
            return;
        }
    }
}

static enum err
add_other(
    struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint, int column)
{
    struct index *added;
    struct expr *expr;
    switch (constraint->kind) {
    case AST_CONSTRAINT_UNIQUE:
        TRY(ddl__add_key(ddl, edit, constraint, column, &added));
        merge_last_key(edit, constraint->name != NULL);
        return ERR_OK;
    case AST_CONSTRAINT_CHECK:
        return ddl__add_check(ddl, edit, constraint, column, &expr);
    case AST_CONSTRAINT_GENERATED:
        return ddl__add_generated(ddl, edit, constraint, column);
    case AST_CONSTRAINT_EXCLUDE:
        return ddl__unsupported(ddl, "an exclusion constraint", constraint->node.location);
    default:
        return ERR_OK;
    }
}

static enum err
add_foreign(
    struct ddl *ddl, struct ddl__edit *edit, const struct ast_constraint *constraint, int column)
{
    oid_t oid;
    return constraint->kind == AST_CONSTRAINT_FOREIGN
               ? ddl__add_foreign(ddl, edit, constraint, column, &oid)
               : ERR_OK;
}

/* ---- the statement
 * ------------------------------------------------------------------------------- */

static enum err
already_exists(struct ddl *ddl, const char *name, bool if_not_exists)
{
    if (if_not_exists) {
        ddl__notice(ddl, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists, skipping", name);
        return ERR_OK;
    }
    return diag_set(ddl->diag, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", name);
}

static enum err
claim_name(
    struct ddl *ddl, const struct relation *relation, const char *name, oid_t oid, bool *taken)
{
    struct ddl_context *context = ddl->context;
    return catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION,
        relation->schema, name, oid, taken, ddl->diag);
}

/* OIDs, names and trees for the edit's indexes. */
static enum err
make_indexes(struct ddl *ddl, struct ddl__edit *edit)
{
    struct ddl_context *context = ddl->context;
    for (uint16_t i = 0; i < edit->relation.index_count; i++) {
        struct index *index = &edit->indexes[i];
        bool taken;
        TRY(catalog_new_oid(ddl->task, context->store, &index->oid, ddl->diag));
        TRY(claim_name(ddl, &edit->relation, index->name, index->oid, &taken));
        if (taken) {
            return already_exists(ddl, index->name, false);
        }
        if (!index->primary) {
            TRY(txn_tree_create(ddl->task, context->txn, &index->tree, ddl->diag));
        }
    }
    return ERR_OK;
}

enum err
ddl__create_table(struct ddl *ddl, const struct ast_create_table *statement)
{
    struct ddl_context *context = ddl->context;
    TRY(refuse(ddl, statement));
    struct ddl__edit *edit = ddl__edit_new(ddl, NULL);
    struct relation *relation = &edit->relation;
    relation->kind = RELATION_TABLE;
    relation->name = statement->table->name;
    relation->owner = context->owner;
    TRY(ddl__placement(ddl, statement->table, statement->persistence == AST_TEMPORARY,
        &relation->schema, &relation->schema_name));

    const struct relation *other;
    const struct index *index;
    ddl__in_schema(ddl, relation->schema_name, relation->name, &other, &index);
    if (other != NULL) {
        return already_exists(ddl, relation->name, statement->if_not_exists);
    }
    TRY(ddl__check_no_type(ddl, relation->schema_name, relation->name));

    TRY(catalog_new_oid(ddl->task, context->store, &relation->oid, ddl->diag));
    AST_FOREACH(element, statement->elements)
    {
        if ((*element)->kind == AST_COLUMN_DEF) {
            TRY(add_column(ddl, edit, ast_as_column_def(*element)));
        } else if ((*element)->kind == AST_LIKE_TABLE) {
            TRY(add_like(ddl, edit, ast_as_like_table(*element)));
        }
    }
    /* The primary key first, wherever it is written: it is the first index, and names follow. */
    TRY(for_constraints(ddl, edit, statement, add_primary));
    TRY(for_constraints(ddl, edit, statement, add_other));

    if (statement->materialized != NULL) {
        TRY(ddl__define_materialized(ddl, relation, statement));
    }
    bool taken;
    TRY(claim_name(ddl, relation, relation->name, relation->oid, &taken));
    if (taken) { /* committed by another session while we waited for its end */
        return already_exists(ddl, relation->name, statement->if_not_exists);
    }
    TRY(txn_tree_create(ddl->task, context->txn, &relation->tree, ddl->diag));
    TRY(make_indexes(ddl, edit));
    TRY(txn_lock_table(ddl->task, context->txn, relation->oid, relation->name, TXN_ACCESS_EXCLUSIVE,
        TXN_WAIT, ddl->diag));
    TRY(for_constraints(ddl, edit, statement, add_foreign));
    for (uint16_t i = 0; i < relation->foreign_count; i++) {
        edit->foreign[i].valid = true; /* there are no rows */
    }
    for (uint16_t i = 0; i < edit->relation.check_count; i++) {
        edit->checks[i].not_valid = false;
    }
    ddl__edit_complete(ddl, edit);
    if (statement->shard != NULL && statement->persistence == AST_TEMPORARY) {
        return ddl__unsupported(
            ddl, "a temporary table with SHARD BY", statement->shard->node.location);
    }
    if (statement->shard != NULL) {
        TRY(ddl__define_sharding(ddl, relation, statement->shard));
        TRY(catalog_sharding_put(
            ddl->task, context->store, context->txn, relation->oid, relation->sharding, ddl->diag));
    }
    TRY(ddl__edit_store(ddl, edit));
    if (context->on_commit != NULL && (statement->on_commit == AST_ON_COMMIT_DROP ||
                                          statement->on_commit == AST_ON_COMMIT_DELETE)) {
        context->on_commit(
            context->notice_arg, relation->oid, statement->on_commit == AST_ON_COMMIT_DROP);
    }
    return ERR_OK;
}

/* ---- CREATE SCHEMA
 * ------------------------------------------------------------------------------- */

enum err
ddl__create_schema(struct ddl *ddl, const struct ast_create_schema *statement)
{
    struct ddl_context *context = ddl->context;
    oid_t owner = context->owner;
    if (statement->role != NULL) {
        const struct role *role = catalog_role(ddl->catalog, statement->role);
        if (role == NULL) {
            return diag_set(
                ddl->diag, ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", statement->role);
        }
        owner = role->oid;
    }
    const char *name = statement->name != NULL ? statement->name : statement->role;
    ASSERT(name != NULL);
    if (strncmp(name, "pg_", 3) == 0) {
        enum err err =
            diag_set(ddl->diag, ERR_RESERVED_NAME, "unacceptable schema name \"%s\"", name);
        diag_detail(ddl->diag, "The prefix \"pg_\" is reserved for system schemas.");
        return err;
    }
    TRY(ddl__check_database_create(ddl));
    bool taken = catalog_schema(ddl->catalog, name) != 0;
    if (!taken) {
        oid_t oid;
        TRY(ddl__make_schema(ddl, txn_scope(context->txn), name, owner, &oid, &taken));
        TRY(taken ? ERR_OK : ddl__default_grants(ddl, CATALOG_CLASS_SCHEMA, oid, owner, 0, 'n'));
    }
    if (taken && statement->if_not_exists) {
        ddl__notice(ddl, ERR_DUPLICATE_SCHEMA, "schema \"%s\" already exists, skipping", name);
        return ERR_OK;
    }
    if (taken) {
        return diag_set(ddl->diag, ERR_DUPLICATE_SCHEMA, "schema \"%s\" already exists", name);
    }
    return ddl__changed(ddl);
}
