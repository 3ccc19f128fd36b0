/*
 * sql/ddl/sequence.c - CREATE, ALTER, DROP SEQUENCE; sequences that belong to columns (serial,
 * IDENTITY).
 */
#include "sql/catalog/sequence.h"

#include <stdio.h>

#include "base/assert.h"
#include "sql/ddl/ddl_internal.h"

/* ---- options ----------------------------------------------------------------------------------
 */

struct options {
    const struct ast_option *as, *start, *restart, *increment, *minimum, *maximum, *cache, *cycle,
        *owned_by, *sequence_name;
};

static enum err
read_options(struct ddl *ddl, const struct ast_list *list, bool identity, struct options *options)
{
    *options = (struct options){0};
    AST_FOREACH(at, list)
    {
        const struct ast_option *option = ast_as_option(*at);
        if (!identity && strcmp(option->name, "sequence_name") == 0) {
            return ddl__at(ddl,
                diag_set(ddl->diag, ERR_SYNTAX, "invalid sequence option SEQUENCE NAME"),
                option->node.location);
        }
        struct {
            const char *name;
            const struct ast_option **to;
        } const known[] = {{"as", &options->as}, {"start", &options->start},
            {"restart", &options->restart}, {"increment", &options->increment},
            {"minvalue", &options->minimum}, {"maxvalue", &options->maximum},
            {"cache", &options->cache}, {"cycle", &options->cycle},
            {"owned_by", &options->owned_by}, {"sequence_name", &options->sequence_name}};
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && strcmp(known[i].name, option->name) != 0) {
            i++;
        }
        if (i == sizeof known / sizeof known[0]) {
            return ddl__unsupported(ddl, option->name, option->node.location);
        }
        if (*known[i].to != NULL) {
            return ddl__at(ddl, diag_set(ddl->diag, ERR_SYNTAX, "conflicting or redundant options"),
                option->node.location);
        }
        *known[i].to = option;
    }
    return ERR_OK;
}

static enum err
number(struct ddl *ddl, const struct ast_option *option, int64_t *value)
{
    const struct ast_const *node = option->value != NULL && option->value->kind == AST_CONST
                                       ? ast_as_const(option->value)
                                       : NULL;
    if (node == NULL || node->kind != AST_CONST_INTEGER) {
        const char *text = node == NULL || node->text == NULL ? "" : node->text;
        return diag_set(
            ddl->diag, ERR_NUMERIC_RANGE, "value \"%s\" is out of range for type bigint", text);
    }
    *value = node->integer;
    return ERR_OK;
}

static int64_t
type_minimum(oid_t type)
{
    return type == TYPE_INT2 ? INT16_MIN : type == TYPE_INT4 ? INT32_MIN : INT64_MIN;
}

static int64_t
type_maximum(oid_t type)
{
    return type == TYPE_INT2 ? INT16_MAX : type == TYPE_INT4 ? INT32_MAX : INT64_MAX;
}

static enum err
invalid(struct ddl *ddl, const char *fmt, int64_t a, int64_t b)
{
    char words[DIAG_TEXT_MAX];
    (void)snprintf(words, sizeof words, fmt, (long long)a, (long long)b);
    return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE, "%s", words);
}

static enum err
set_type(struct ddl *ddl, const struct options *options, struct sequence *sequence, bool fresh)
{
    if (options->as == NULL) {
        return ERR_OK;
    }
    oid_t type;
    int32_t typmod;
    ASSERT(options->as->value != NULL && options->as->value->kind == AST_TYPE);
    TRY(ddl__resolve_type(
        ddl, (const struct ast_type *)(const void *)options->as->value, &type, &typmod));
    if (type != TYPE_INT2 && type != TYPE_INT4 && type != TYPE_INT8) {
        return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE,
            sequence->identity ? "identity column type must be smallint, integer, or bigint"
                               : "sequence type must be smallint, integer, or bigint");
    }
    if (!fresh && sequence->maximum == type_maximum(sequence->type)) {
        sequence->maximum = type_maximum(type); /* it was the type's, and stays so */
    }
    if (!fresh && sequence->minimum == type_minimum(sequence->type)) {
        sequence->minimum = type_minimum(type);
    }
    sequence->type = type;
    return ERR_OK;
}

static enum err
set_bounds(struct ddl *ddl, const struct options *options, struct sequence *sequence, bool fresh)
{
    bool up = sequence->increment > 0;
    if (options->maximum != NULL && options->maximum->value != NULL) {
        TRY(number(ddl, options->maximum, &sequence->maximum));
    } else if (options->maximum != NULL || fresh) {
        sequence->maximum = up ? type_maximum(sequence->type) : -1;
    }
    if (options->minimum != NULL && options->minimum->value != NULL) {
        TRY(number(ddl, options->minimum, &sequence->minimum));
    } else if (options->minimum != NULL || fresh) {
        sequence->minimum = up ? 1 : type_minimum(sequence->type);
    }
    const char *type = type_by_oid(sequence->type)->sql_name;
    if (sequence->maximum > type_maximum(sequence->type) ||
        sequence->maximum < type_minimum(sequence->type)) {
        return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE,
            "MAXVALUE (%lld) is out of range for sequence data type %s",
            (long long)sequence->maximum, type);
    }
    if (sequence->minimum > type_maximum(sequence->type) ||
        sequence->minimum < type_minimum(sequence->type)) {
        return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE,
            "MINVALUE (%lld) is out of range for sequence data type %s",
            (long long)sequence->minimum, type);
    }
    return sequence->minimum >= sequence->maximum
               ? invalid(ddl, "MINVALUE (%lld) must be less than MAXVALUE (%lld)",
                     sequence->minimum, sequence->maximum)
               : ERR_OK;
}

static enum err
check_inside(struct ddl *ddl, const struct sequence *sequence, const char *what, int64_t value)
{
    const char *fmt = value < sequence->minimum
                          ? "%s value (%%lld) cannot be less than MINVALUE (%%lld)"
                          : "%s value (%%lld) cannot be greater than MAXVALUE (%%lld)";
    if (value >= sequence->minimum && value <= sequence->maximum) {
        return ERR_OK;
    }
    char with[128];
    (void)snprintf(with, sizeof with, fmt, what);
    return invalid(
        ddl, with, value, value < sequence->minimum ? sequence->minimum : sequence->maximum);
}

static enum err
apply_options(struct ddl *ddl, const struct options *options, struct sequence *sequence, bool fresh)
{
    TRY(set_type(ddl, options, sequence, fresh));
    if (options->increment != NULL) {
        TRY(number(ddl, options->increment, &sequence->increment));
        if (sequence->increment == 0) {
            return diag_set(ddl->diag, ERR_INVALID_PARAMETER_VALUE, "INCREMENT must not be zero");
        }
    }
    if (options->cycle != NULL) {
        sequence->cycle =
            options->cycle->value != NULL && ast_as_const(options->cycle->value)->boolean;
    }
    TRY(set_bounds(ddl, options, sequence, fresh));
    if (options->start != NULL) {
        TRY(number(ddl, options->start, &sequence->start));
    } else if (fresh) {
        sequence->start = sequence->increment > 0 ? sequence->minimum : sequence->maximum;
    }
    TRY(check_inside(ddl, sequence, "START", sequence->start));
    if (fresh) {
        sequence->last = sequence->start;
        sequence->called = false;
    }
    if (options->restart != NULL) {
        sequence->last = sequence->start;
        if (options->restart->value != NULL) {
            TRY(number(ddl, options->restart, &sequence->last));
        }
        sequence->called = false;
    }
    TRY(check_inside(ddl, sequence, "RESTART", sequence->last));
    if (options->cache != NULL) {
        TRY(number(ddl, options->cache, &sequence->cache));
        if (sequence->cache <= 0) {
            return invalid(ddl, "CACHE (%lld) must be greater than zero", sequence->cache, 0);
        }
    }
    return ERR_OK;
}

/* ---- storing ----------------------------------------------------------------------------------
 */

/* A state of its own for the definition. */
static enum err
new_generation(struct ddl *ddl, struct sequence *sequence)
{
    oid_t oid;
    TRY(catalog_new_oid(ddl->task, ddl->context->store, &oid, ddl->diag));
    sequence->generation = oid;
    return ERR_OK;
}

static enum err
store(struct ddl *ddl, const struct relation *from, const struct sequence *sequence)
{
    struct ddl__edit *edit = ddl__edit_new(ddl, from);
    edit->relation.sequence = arena_copy(ddl->arena, sequence, sizeof *sequence);
    return ddl__edit_store(ddl, edit);
}

/* The name is claimed here. */
static enum err
create(struct ddl *ddl, struct relation *relation, struct sequence *sequence, bool *taken)
{
    struct ddl_context *context = ddl->context;
    relation->kind = RELATION_SEQUENCE;
    relation->owner = context->owner;
    relation->sequence = sequence;
    TRY(catalog_new_oid(ddl->task, context->store, &relation->oid, ddl->diag));
    TRY(catalog_name_add(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION,
        relation->schema, relation->name, relation->oid, taken, ddl->diag));
    if (*taken) {
        return ERR_OK;
    }
    TRY(new_generation(ddl, sequence));
    TRY(txn_lock_table(ddl->task, context->txn, relation->oid, relation->name, TXN_ACCESS_EXCLUSIVE,
        TXN_WAIT, ddl->diag));
    return store(ddl, relation, sequence);
}

/* ---- OWNED BY ---------------------------------------------------------------------------------
 */

static enum err
set_owner_column(struct ddl *ddl, const struct relation *relation, const struct ast_option *option,
    struct sequence *sequence)
{
    uint32_t count = ast_list_count(option->list);
    const char *first = ast_as_name(ast_list_at(option->list, 0))->text;
    if (count == 1) {
        if (strcmp(first, "none") != 0) {
            enum err err = diag_set(ddl->diag, ERR_SYNTAX, "invalid OWNED BY option");
            diag_hint(ddl->diag, "Specify OWNED BY table.column or OWNED BY NONE.");
            return err;
        }
        sequence->owner_table = 0;
        return ERR_OK;
    }
    const struct ast_table name = {.node = {.kind = AST_TABLE, .location = -1},
        .schema = count > 2 ? first : NULL,
        .name = ast_as_name(ast_list_at(option->list, count - 2))->text};
    const struct relation *table;
    TRY(ddl__lock_relation(ddl, &name, TXN_ACCESS_SHARE, false, &table));
    if (table->kind != RELATION_TABLE) {
        return diag_set(ddl->diag, ERR_WRONG_OBJECT_TYPE,
            "sequence cannot be owned by relation \"%s\"", table->name);
    }
    const char *column = ast_as_name(ast_list_at(option->list, count - 1))->text;
    int at = relation_column(table, column);
    if (at < 0) {
        return diag_set(ddl->diag, ERR_UNDEFINED_COLUMN,
            "column \"%s\" of relation \"%s\" does not exist", column, table->name);
    }
    if (table->schema != relation->schema) {
        return diag_set(ddl->diag, ERR_OBJECT_STATE,
            "sequence must be in same schema as table it is linked to");
    }
    sequence->owner_table = table->oid;
    sequence->owner_column = (uint16_t)at;
    return ERR_OK;
}

/* ---- the statements ---------------------------------------------------------------------------
 */

enum err
ddl__create_sequence(struct ddl *ddl, const struct ast_create_sequence *statement)
{
    if (statement->persistence == AST_UNLOGGED) {
        return ddl__unsupported(ddl, "an unlogged sequence", -1);
    }
    struct options options;
    struct sequence sequence = {.type = TYPE_INT8, .increment = 1, .cache = 1};
    TRY(read_options(ddl, statement->options, false, &options));
    TRY(apply_options(ddl, &options, &sequence, true));
    struct relation relation = {.name = statement->sequence->name};
    TRY(ddl__placement(ddl, statement->sequence, statement->persistence == AST_TEMPORARY,
        &relation.schema, &relation.schema_name));
    const struct relation *other;
    const struct index *index;
    ddl__in_schema(ddl, relation.schema_name, relation.name, &other, &index);
    bool taken = other != NULL;
    if (!taken) {
        if (options.owned_by != NULL) {
            TRY(set_owner_column(ddl, &relation, options.owned_by, &sequence));
        }
        TRY(create(ddl, &relation, &sequence, &taken));
    }
    if (taken && statement->if_not_exists) {
        ddl__notice(
            ddl, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists, skipping", relation.name);
        return ERR_OK;
    }
    return taken ? diag_set(ddl->diag, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists",
                       relation.name)
                 : ERR_OK;
}

/* The definition with its state of this moment, about to become another generation. */
static enum err
current_state(struct ddl *ddl, const struct relation *relation, struct sequence *sequence)
{
    struct ddl_context *context = ddl->context;
    *sequence = *relation->sequence;
    TRY(sequence_look(
        ddl->task, context->store, relation, &sequence->last, &sequence->called, ddl->diag));
    return sequence_forget_state(ddl->task, context->store, context->txn, relation, ddl->diag);
}

enum err
ddl__alter_sequence(struct ddl *ddl, const struct ast_alter_sequence *statement)
{
    const struct relation *relation;
    TRY(ddl__lock_relation_as(ddl, statement->sequence, TXN_ACCESS_EXCLUSIVE, statement->if_exists,
        ddl__check_relation_owner, &relation));
    if (relation == NULL) {
        ddl__notice(
            ddl, ERR_OK, "relation \"%s\" does not exist, skipping", statement->sequence->name);
        return ERR_OK;
    }
    if (relation->kind != RELATION_SEQUENCE) {
        return diag_set(
            ddl->diag, ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", relation->name);
    }
    struct options options;
    struct sequence sequence;
    TRY(read_options(ddl, statement->options, false, &options));
    TRY(current_state(ddl, relation, &sequence));
    TRY(apply_options(ddl, &options, &sequence, false));
    if (options.owned_by != NULL) {
        if (sequence.identity) {
            return diag_set(ddl->diag, ERR_FEATURE_NOT_SUPPORTED,
                "cannot change ownership of identity sequence");
        }
        oid_t oid = relation->oid;
        TRY(set_owner_column(ddl, relation, options.owned_by, &sequence));
        TRY(ddl__find_again(ddl, oid, &relation));
    }
    TRY(new_generation(ddl, &sequence));
    return store(ddl, relation, &sequence);
}

enum err
ddl__restart_sequences(struct ddl *ddl, oid_t table)
{
    for (size_t i = 0;; i++) {
        const struct relation *relation = catalog_relation_at(ddl->catalog, i);
        if (relation == NULL) {
            return ERR_OK;
        }
        if (relation->kind != RELATION_SEQUENCE || relation->sequence->owner_table != table) {
            continue;
        }
        oid_t oid = relation->oid;
        TRY(txn_lock_table(ddl->task, ddl->context->txn, oid, relation->name, TXN_ACCESS_EXCLUSIVE,
            TXN_WAIT, ddl->diag));
        TRY(ddl__find_again(ddl, oid, &relation));
        struct sequence sequence;
        TRY(current_state(ddl, relation, &sequence));
        sequence.last = sequence.start;
        sequence.called = false;
        TRY(new_generation(ddl, &sequence));
        TRY(store(ddl, relation, &sequence)); /* replaces its record: same place in the list */
    }
}

/* ---- sequences of columns ---------------------------------------------------------------------
 */

oid_t
ddl__serial_type(const struct ast_type *type)
{
    if (type == NULL || type->schema != NULL || type->array_dimensions > 0) {
        return 0;
    }
    static const struct {
        const char *name;
        oid_t type;
    } names[] = {{"serial", TYPE_INT4}, {"serial4", TYPE_INT4}, {"serial8", TYPE_INT8},
        {"bigserial", TYPE_INT8}, {"smallserial", TYPE_INT2}, {"serial2", TYPE_INT2}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(type->name, names[i].name) == 0) {
            return names[i].type;
        }
    }
    return 0;
}

enum err
ddl__column_sequence(struct ddl *ddl, struct ddl__edit *edit, uint16_t at,
    const struct ast_list *list, bool identity)
{
    struct column *column = &edit->columns[at];
    struct options options;
    struct sequence sequence = {.type = column->type,
        .increment = 1,
        .cache = 1,
        .owner_table = edit->relation.oid,
        .owner_column = at,
        .identity = identity};
    ASSERT(sequence.owner_table != 0);
    TRY(read_options(ddl, list, identity, &options));
    TRY(apply_options(ddl, &options, &sequence, true));
    struct relation relation = {
        .schema = edit->relation.schema, .schema_name = edit->relation.schema_name};
    if (options.sequence_name == NULL) {
        relation.name = ddl__choose_name(ddl, edit, column->name, "seq", true);
    } else {
        const struct ast_table *name = ast_as_table(options.sequence_name->value);
        relation.name = name->name;
        if (name->schema != NULL && strcmp(name->schema, relation.schema_name) != 0) {
            return diag_set(ddl->diag, ERR_OBJECT_STATE,
                "sequence must be in same schema as table it is linked to");
        }
    }
    bool taken = false;
    TRY(create(ddl, &relation, &sequence, &taken));
    if (taken) {
        return diag_set(
            ddl->diag, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", relation.name);
    }
    column->not_null = true;
    column->default_text =
        arena_printf(ddl->arena, "nextval('%u'::regclass)", (unsigned)relation.oid);
    return ERR_OK;
}

enum err
ddl__sequence_oids(struct ddl *ddl, const char *text, const char **result)
{
    static const char call[] = "nextval('";
    *result = text;
    if (strstr(text, call) == NULL) {
        return ERR_OK;
    }
    struct eval_env *env = ddl->context->env;
    const struct catalog *before = env->catalog;
    struct eval eval = {.task = ddl->task, .arena = ddl->arena, .diag = ddl->diag, .env = env};
    struct buffer to = {0};
    enum err err = ERR_OK;
    const char *at;
    env->catalog = ddl->catalog;
    while (err == ERR_OK && (at = strstr(text, call)) != NULL) {
        const char *name = at + strlen(call);
        const char *end = strchr(name, '\'');
        if (end == NULL || end[1] == '\'') { /* a quote within: it stays by name */
            break;
        }
        oid_t oid = 0;
        err = value_catalog_hooks->oid(
            &eval, TYPE_REGCLASS, slice_of(name, (size_t)(end - name)), &oid);
        static const char suffix[] = "'::regclass";
        bool cast = strncmp(end, suffix, strlen(suffix)) == 0;
        buffer_add(&to, text, (size_t)(name - text));
        buffer_printf(&to, "%u%s", (unsigned)oid, cast ? "" : suffix);
        text = cast ? end : end + 1;
    }
    env->catalog = before;
    buffer_add_text(&to, text);
    *result = arena_strndup(ddl->arena, (const char *)to.data, to.size);
    buffer_destroy(&to);
    return err;
}

/* ---- dropping ---------------------------------------------------------------------------------
 */

/* A locked sequence that nothing needs any more. */
static enum err
drop_sequence(struct ddl *ddl, const struct relation *relation)
{
    struct ddl_context *context = ddl->context;
    TRY(sequence_forget_state(ddl->task, context->store, context->txn, relation, ddl->diag));
    TRY(catalog_name_remove(ddl->task, context->store, context->txn, CATALOG_NAME_RELATION,
        relation->schema, relation->name, ddl->diag));
    TRY(catalog_comments_remove(
        ddl->task, context->store, context->txn, CATALOG_CLASS_RELATION, relation->oid, ddl->diag));
    TRY(catalog_relation_remove(ddl->task, context->store, context->txn, relation->oid, ddl->diag));
    return ddl__changed(ddl);
}

enum err
ddl__drop_owned_sequences(struct ddl *ddl, oid_t table, int column)
{
    const struct relation *relation;
    while ((relation = catalog_owned_sequence(ddl->catalog, table, column)) != NULL) {
        oid_t oid = relation->oid;
        TRY(txn_lock_table(ddl->task, ddl->context->txn, oid, relation->name, TXN_ACCESS_EXCLUSIVE,
            TXN_WAIT, ddl->diag));
        TRY(ddl__refresh(ddl));
        relation = catalog_relation_by_oid(ddl->catalog, oid);
        if (relation != NULL) {
            TRY(drop_sequence(ddl, relation));
        }
    }
    return ERR_OK;
}

/* A default of a table that takes values of the sequence: an error, or (cascade) it goes. */
static enum err
release_defaults(struct ddl *ddl, const struct relation *relation, bool cascade)
{
    oid_t sequence = relation->oid;
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(ddl->catalog, i)) != NULL; i++) {
        for (uint16_t c = 0; c < table->column_count; c++) {
            if (!catalog_default_calls(table->columns[c].default_text, sequence)) {
                continue;
            }
            if (!cascade) {
                enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
                    "cannot drop sequence %s because other objects depend on it", relation->name);
                diag_detail(ddl->diag,
                    "default value for column %s of table %s depends on sequence %s",
                    table->columns[c].name, table->name, relation->name);
                diag_hint(ddl->diag, "Use DROP ... CASCADE to drop the dependent objects too.");
                return err;
            }
            ddl__notice(ddl, ERR_OK, "drop cascades to default value for column %s of table %s",
                table->columns[c].name, table->name);
            oid_t oid = table->oid;
            TRY(txn_lock_table(ddl->task, ddl->context->txn, oid, table->name, TXN_ACCESS_EXCLUSIVE,
                TXN_WAIT, ddl->diag));
            TRY(ddl__find_again(ddl, oid, &table));
            struct ddl__edit *edit = ddl__edit_new(ddl, table);
            edit->columns[c].default_text = NULL;
            TRY(ddl__edit_store(ddl, edit));
            table = catalog_relation_by_oid(ddl->catalog, oid);
            relation = catalog_relation_by_oid(ddl->catalog, sequence);
            ASSERT(table != NULL && relation != NULL); /* both are locked */
        }
    }
    return ERR_OK;
}

enum err
ddl__drop_sequence(struct ddl *ddl, const struct relation *relation, bool cascade)
{
    const struct sequence *sequence = relation->sequence;
    const struct relation *table =
        sequence->identity ? catalog_relation_by_oid(ddl->catalog, sequence->owner_table) : NULL;
    if (table != NULL) {
        const char *column = table->columns[sequence->owner_column].name;
        enum err err = diag_set(ddl->diag, ERR_DEPENDENT_OBJECTS,
            "cannot drop sequence %s because column %s of table %s requires it", relation->name,
            column, table->name);
        diag_hint(ddl->diag, "You can drop column %s of table %s instead.", column, table->name);
        return err;
    }
    oid_t oid = relation->oid;
    TRY(release_defaults(ddl, relation, cascade));
    TRY(ddl__find_again(ddl, oid, &relation));
    return drop_sequence(ddl, relation);
}
