/*
 * sql/exec/domain.c - does a value obey its domain?
 *
 * A domain's conditions are the derived values of a table of one column, "value" (derive.c). They
 * are compiled when first met and kept by the session while the catalog is the same.
 */
#include "sql/exec/domain.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sql/exec/derive.h"

enum {
    CHECK_STACK_MAX = 64 * 1024,
};

struct domain_entry {
    struct domain_entry *next;
    struct arena arena;
    oid_t domain;
    uint32_t check_count;
    struct index_deriver *deriver; /* NULL: it has no checks */
};

struct domain_cache {
    uint64_t version; /* of the catalog */
    struct domain_entry *entries;
};

struct domain_cache *
domain_cache_new(void)
{
    return mem_zalloc(sizeof(struct domain_cache));
}

static void
entry_delete(struct domain_entry *entry)
{
    index_deriver_close(entry->deriver);
    arena_destroy(&entry->arena);
    mem_free(entry);
}

static void
forget(struct domain_cache *cache)
{
    while (cache->entries != NULL) {
        struct domain_entry *next = cache->entries->next;
        entry_delete(cache->entries);
        cache->entries = next;
    }
}

void
domain_cache_delete(struct domain_cache *cache)
{
    if (cache != NULL) {
        forget(cache);
        mem_free(cache);
    }
}

/* The domain as a table. All that is kept of it is copied: the picture may go. */
static const struct relation *
as_relation(struct arena *arena, const struct catalog *catalog, const struct user_type *domain)
{
    struct relation *relation = arena_alloc(arena, sizeof *relation);
    struct column *column = arena_alloc(arena, sizeof *column);
    struct derived *derived = arena_array(arena, domain->check_count, sizeof *derived);
    *column = (struct column){.name = "value", .typmod = -1};
    column->type = catalog_base_type(catalog, domain->oid, &column->typmod);
    for (uint16_t i = 0; i < domain->check_count; i++) {
        derived[i] = (struct derived){.name = "",
            .text = arena_strdup(arena, domain->checks[i].text),
            .type = TYPE_BOOL,
            .typmod = -1};
    }
    *relation = (struct relation){.name = arena_strdup(arena, domain->name),
        .schema_name = arena_strdup(arena, domain->schema_name),
        .kind = RELATION_TABLE,
        .column_count = 1,
        .columns = column,
        .derived_count = domain->check_count,
        .derived = derived};
    return relation;
}

static enum err
entry_make(struct eval *eval, const struct user_type *domain, struct domain_entry **entry)
{
    const struct catalog *catalog = eval->env->catalog;
    struct domain_entry *made = mem_zalloc(sizeof *made);
    arena_create(&made->arena, "domain");
    made->domain = domain->oid;
    made->check_count = domain->check_count;
    enum err err = index_deriver_open(eval->task, eval->env, catalog,
        as_relation(&made->arena, catalog, domain), &made->deriver, eval->diag);
    if (err != ERR_OK) {
        entry_delete(made);
        return err;
    }
    *entry = made;
    return ERR_OK;
}

/* The first check that says no, or check_count. */
static enum err
find_violation(
    struct eval *eval, struct domain_entry *entry, struct datum value, uint32_t *violated)
{
    struct datum *row =
        arena_array(eval->arena, (size_t)entry->check_count + 1, sizeof(struct datum));
    row[0] = value;
    *violated = 0;
    if (entry->deriver != NULL) {
        TRY(index_derive(eval->task, entry->deriver, eval->arena, row, eval->diag));
    }
    while (
        *violated < entry->check_count && (row[*violated + 1].null || row[*violated + 1].i != 0)) {
        (*violated)++;
    }
    return ERR_OK;
}

static enum err
check_conditions(struct eval *eval, const struct user_type *outer, const struct user_type *domain,
    struct datum value)
{
    struct domain_cache *cache = eval->env->domains;
    struct domain_entry *entry = NULL;
    uint32_t violated;
    if (cache != NULL && cache->version != catalog_version(eval->env->catalog)) {
        forget(cache);
        cache->version = catalog_version(eval->env->catalog);
    }
    for (entry = cache == NULL ? NULL : cache->entries;
         entry != NULL && entry->domain != domain->oid;) {
        entry = entry->next;
    }
    bool kept = entry != NULL;
    if (!kept) {
        TRY(entry_make(eval, domain, &entry));
        if (cache != NULL) {
            entry->next = cache->entries;
            cache->entries = entry;
            kept = true;
        }
    }
    enum err err = find_violation(eval, entry, value, &violated);
    if (!kept) {
        entry_delete(entry);
    }
    TRY(err);
    if (violated == domain->check_count) {
        return ERR_OK;
    }
    const char *name = domain->checks[violated].name;
    err = diag_set(eval->diag, ERR_CHECK, "value for domain %s violates check constraint \"%s\"",
        type_format(eval->env, eval->arena, outer->oid, -1), name);
    diag_names(eval->diag, outer->schema_name, NULL, NULL, name);
    return err;
}

static enum err check_value(struct eval *eval, oid_t domain, struct datum value);

static enum err
check_elements(struct eval *eval, oid_t domain, struct datum array)
{
    if (array.null || !catalog_domain_constrains(eval->env->catalog, domain)) {
        return ERR_OK;
    }
    struct datum *elements;
    uint32_t count = array_elements(eval->arena, array, &elements);
    for (uint32_t i = 0; i < count; i++) {
        TRY(check_value(eval, domain, elements[i]));
    }
    return ERR_OK;
}

/* Bases first, as their conditions were there first. */
static enum err
check_levels(struct eval *eval, const struct user_type *outer, const struct user_type *domain,
    struct datum value)
{
    if (eval->task != NULL && task_stack_left(eval->task) < CHECK_STACK_MAX) {
        return diag_set(eval->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    if (type_has_domain(domain->base)) {
        const struct user_type *under = catalog_type(eval->env->catalog, domain->base);
        bool array = (domain->base & 1) != 0;
        TRY(array || under == NULL ? check_value(eval, domain->base, value)
                                   : check_levels(eval, outer, under, value));
    }
    if (domain->not_null && value.null) {
        enum err err = diag_set(eval->diag, ERR_NOT_NULL, "domain %s does not allow null values",
            type_format(eval->env, eval->arena, outer->oid, -1));
        diag_names(eval->diag, outer->schema_name, NULL, NULL, NULL);
        return err;
    }
    return domain->check_count == 0 ? ERR_OK : check_conditions(eval, outer, domain, value);
}

static enum err
check_value(struct eval *eval, oid_t oid, struct datum value)
{
    if ((oid & 1) != 0) {
        return check_elements(eval, oid - 1, value);
    }
    const struct user_type *domain = catalog_type(eval->env->catalog, oid);
    return domain == NULL
               ? diag_set(eval->diag, ERR_UNDEFINED_OBJECT, "type with OID %u does not exist", oid)
               : check_levels(eval, domain, domain, value);
}

/* domain_check(value, domain): the value, of the base type. */
static enum err
check_call(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    (void)count;
    *result = args[0];
    return check_value(eval, (oid_t)args[1].i, args[0]);
}

static const struct function functions[] = {
    {"domain_check", 0, TYPE_ANY, 2, 2, FUNCTION_INTERNAL | FUNCTION_STABLE, {TYPE_ANY, TYPE_OID},
        check_call, NULL, NULL},
};

void
exec_register_domains(void)
{
    value_domain_check = check_value;
    function_register(functions, sizeof functions / sizeof functions[0]);
}
