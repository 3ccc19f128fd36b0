/*
 * sql/ddl/rows.c - reading and writing the rows of tables: index builds, rewrites, checks of what
 * is there.
 *
 * All of it runs under a lock that keeps writers out, at the newest snapshot (D2), one row after
 * the other in memory that is rewound for each, so a table of any size costs the same. Entries of
 * an index go through a sorter, in maintenance_work_mem (build.h).
 */
#include "base/assert.h"
#include "base/mem.h"
#include "sql/ddl/build.h"
#include "sql/ddl/ddl_internal.h"

/* ---- a pass over a table
 * ------------------------------------------------------------------------- */

struct pass {
    struct ddl *ddl;
    const struct relation *relation;
    struct txn_scan *scan;
    struct arena arena; /* of the scan */
    struct arena row;   /* of one row */
    uint16_t *wanted;   /* columns to decode, ascending */
    size_t wanted_count;
    struct datum *values;          /* index_row_size */
    struct index_deriver *deriver; /* NULL: nothing is derived */
};

static enum err
pass_open(struct pass *pass, struct ddl *ddl, const struct relation *relation)
{
    *pass = (struct pass){.ddl = ddl, .relation = relation};
    arena_create(&pass->arena, "ddl scan");
    arena_create(&pass->row, "ddl row");
    pass->wanted = arena_array(&pass->arena, relation->column_count, sizeof *pass->wanted);
    pass->values = arena_array(&pass->arena, index_row_size(relation), sizeof *pass->values);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        pass->values[i] = datum_null();
    }
    struct ddl_context *context = ddl->context;
    struct txn_snapshot snapshot = catalog_newest_snapshot(context->store, context->txn);
    struct txn_range all = {0};
    return txn_scan_open(ddl->task, context->txn, snapshot, relation->tree, &all, false,
        &pass->arena, &pass->scan, ddl->diag);
}

static enum err
pass_next(struct pass *pass, struct txn_row *row, bool *found)
{
    struct ddl *ddl = pass->ddl;
    arena_reset(&pass->row);
    TRY(task_breathe(ddl->task, ddl->diag));
    TRY(txn_scan_next(ddl->task, pass->scan, row, found, ddl->diag));
    if (*found && pass->wanted_count > 0) {
        TRY(row_decode(pass->relation->layout, row->value, pass->wanted, pass->wanted_count,
            pass->values, ddl->diag));
    }
    return ERR_OK;
}

static void
pass_close(struct pass *pass)
{
    if (pass->scan != NULL) {
        txn_scan_close(pass->ddl->task, pass->scan);
    }
    index_deriver_close(pass->deriver);
    arena_destroy(&pass->row);
    arena_destroy(&pass->arena);
}

/* In REPEATABLE READ: what is built from the newest rows (D2) would show the transaction rows that
 * its snapshot does not have, or entries without their rows. So both must be the same rows. */
static enum err
check_own_snapshot(struct ddl *ddl, const struct relation *relation)
{
    struct txn *txn = ddl->context->txn;
    if (txn_isolation(txn) == TXN_READ_COMMITTED) {
        return ERR_OK;
    }
    struct pass newest;
    struct txn_scan *own = NULL;
    struct txn_range all = {0};
    enum err err = pass_open(&newest, ddl, relation);
    if (err == ERR_OK) {
        err = txn_scan_open(ddl->task, txn, txn_statement_begin(txn), relation->tree, &all, false,
            &newest.arena, &own, ddl->diag);
    }
    bool found = true;
    while (err == ERR_OK && found) {
        struct txn_row row, seen;
        bool also = false;
        err = pass_next(&newest, &row, &found);
        if (err == ERR_OK) {
            err = txn_scan_next(ddl->task, own, &seen, &also, ddl->diag);
        }
        if (err == ERR_OK &&
            (found != also || (found && (!slice_equal(row.key, seen.key) ||
                                            !slice_equal(row.value, seen.value))))) {
            err = diag_set(ddl->diag, ERR_SERIALIZATION,
                "could not serialize access due to concurrent update");
        }
    }
    if (own != NULL) {
        txn_scan_close(ddl->task, own);
    }
    pass_close(&newest);
    return err;
}

static void
want_all(struct pass *pass)
{
    for (uint16_t i = 0; i < pass->relation->column_count; i++) {
        if (!pass->relation->columns[i].dropped) {
            pass->wanted[pass->wanted_count++] = i;
        }
    }
}

static void
want_index(struct pass *pass, const struct index *index)
{
    if (index_has_derived(index)) {
        want_all(pass); /* whatever the expressions read */
        return;
    }
    pass->wanted_count = index_builder_columns(pass->relation, index, pass->wanted);
}

static enum err
duplicate_key(struct ddl *ddl, const struct relation *relation, const struct index *index,
    const struct datum *values)
{
    enum err err =
        diag_set(ddl->diag, ERR_UNIQUE, "could not create unique index \"%s\"", index->name);
    diag_detail(ddl->diag, "Key %s is duplicated.",
        index_key_text(ddl->arena, ddl->context->env, relation, index, values));
    diag_names(ddl->diag, relation->schema_name, relation->name, NULL, index->name);
    return err;
}

/* ---- building an index
 * ---------------------------------------------------------------------------
 */

struct build {
    struct ddl *ddl;
    const struct relation *relation;
    const struct index *index;
    struct index_deriver *deriver;
    bool logged; /* each entry */
};

/* Names the values of a row that is in the way, from its table. */
static enum err
duplicate_entry(struct task *task, void *arg, const struct btree_entry *entry, struct diag *diag)
{
    const struct build *build = arg;
    struct ddl *ddl = build->ddl;
    const struct relation *relation = build->relation;
    struct slice row_key;
    TRY(index_entry_row_key(relation, build->index, entry->key, entry->value, &row_key, diag));
    struct pass pass = {.relation = relation, .ddl = ddl};
    pass.wanted = arena_array(ddl->arena, relation->column_count, sizeof *pass.wanted);
    pass.values = arena_array(ddl->arena, index_row_size(relation), sizeof *pass.values);
    want_index(&pass, build->index);
    struct txn *txn = ddl->context->txn;
    struct txn_row row;
    bool found = false;
    TRY(txn_get(task, txn, catalog_newest_snapshot(ddl->context->store, txn), relation->tree,
        row_key, ddl->arena, &row, &found, diag));
    if (!found) {
        return diag_set(
            diag, ERR_UNIQUE, "could not create unique index \"%s\"", build->index->name);
    }
    TRY(row_decode(relation->layout, row.value, pass.wanted, pass.wanted_count, pass.values, diag));
    TRY(index_derive(task, build->deriver, ddl->arena, pass.values, diag));
    return duplicate_key(ddl, relation, build->index, pass.values);
}

static enum err
append_entries(struct task *task, void *arg, const struct btree_entry *entries, size_t count,
    struct diag *diag)
{
    const struct build *build = arg;
    return txn_tree_append(
        task, build->ddl->context->txn, build->index->tree, entries, count, build->logged, diag);
}

static enum err
append_large(struct task *task, void *arg, const struct btree_entry *entry, struct diag *diag)
{
    const struct build *build = arg;
    ASSERT(build->logged);
    return txn_insert(task, build->ddl->context->txn, build->index->tree, entry->key, entry->value,
        build->ddl->arena, NULL, diag);
}

static enum err
add_entries(struct build *build, struct pass *pass, struct index_builder *builder)
{
    struct ddl *ddl = build->ddl;
    for (;;) {
        struct txn_row row;
        bool found;
        TRY(pass_next(pass, &row, &found));
        if (!found) {
            return ERR_OK;
        }
        TRY(index_derive(ddl->task, build->deriver, &pass->row, pass->values, ddl->diag));
        TRY(index_builder_add(ddl->task, builder, pass->values, row.key));
    }
}

static struct progress *
begin_progress(struct ddl *ddl, const struct relation *relation, const struct index *index)
{
    struct progress *progress = ddl->context->progress;
    if (progress != NULL) {
        uint64_t leaf_count;
        uint64_t row_count;
        txn_tree_size(ddl->context->db, relation->tree, &leaf_count, &row_count);
        progress_set(progress, PROGRESS_RELATION, relation->oid);
        progress_set(progress, PROGRESS_INDEX, index->oid);
        progress_begin_phase(progress, PROGRESS_SCANNING, row_count);
    }
    return progress;
}

enum err
ddl__build_index(struct ddl *ddl, const struct relation *relation, const struct index *index)
{
    ASSERT(!index->primary);
    TRY(check_own_snapshot(ddl, relation));
    struct buffer definition = {0};
    struct build build = {.ddl = ddl,
        .relation = relation,
        .index = index,
        .logged = !index_definition(relation, index, &definition)};
    const struct index_sink sink = {.arg = &build,
        .append = append_entries,
        .append_large = append_large,
        .duplicate = duplicate_entry};
    struct pass pass;
    struct index_builder builder;
    index_builder_create(&builder, relation, index, ddl->context->spill_space,
        ddl->context->maintenance_work_mem, ddl->diag);
    builder.progress = begin_progress(ddl, relation, index);
    enum err err = pass_open(&pass, ddl, relation);
    want_index(&pass, index);
    if (err == ERR_OK && index_has_derived(index)) {
        err = index_deriver_open(
            ddl->task, ddl->context->env, ddl->catalog, relation, &pass.deriver, ddl->diag);
        build.deriver = pass.deriver;
    }
    if (err == ERR_OK) {
        err = add_entries(&build, &pass, &builder);
    }
    if (err == ERR_OK) {
        err = index_builder_finish(ddl->task, &builder, &sink);
    }
    if (err == ERR_OK && !build.logged) {
        err = txn_tree_built(ddl->task, ddl->context->txn, index->tree,
            slice_of(definition.data, definition.size), ddl->diag);
    }
    index_builder_destroy(ddl->task, &builder);
    buffer_destroy(&definition);
    pass_close(&pass);
    return err;
}

/* ---- checking
 * ------------------------------------------------------------------------------------ */

static enum err
check_row(struct ddl *ddl, struct arena *arena, const struct ddl__rewrite *rewrite,
    const struct datum *values)
{
    const struct relation *to = rewrite->to;
    for (uint16_t i = 0; rewrite->not_null != NULL && i < to->column_count; i++) {
        if (rewrite->not_null[i] && values[i].null) {
            enum err err = diag_set(ddl->diag, ERR_NOT_NULL,
                "column \"%s\" of relation \"%s\" contains null values", to->columns[i].name,
                to->name);
            diag_names(ddl->diag, to->schema_name, to->name, to->columns[i].name, NULL);
            return err;
        }
    }
    for (uint16_t i = 0; rewrite->checks != NULL && i < to->check_count; i++) {
        struct datum holds;
        if (rewrite->checks[i] == NULL) {
            continue;
        }
        TRY(ddl__evaluate(ddl, arena, rewrite->checks[i], values, &holds));
        if (!holds.null && holds.i == 0) {
            enum err err = diag_set(ddl->diag, ERR_CHECK,
                "check constraint \"%s\" of relation \"%s\" is violated by some row",
                to->checks[i].name, to->name);
            diag_names(ddl->diag, to->schema_name, to->name, NULL, to->checks[i].name);
            return err;
        }
    }
    return ERR_OK;
}

enum err
ddl__verify(struct ddl *ddl, const struct ddl__rewrite *rewrite)
{
    struct pass pass;
    enum err err = pass_open(&pass, ddl, rewrite->from);
    want_all(&pass);
    while (err == ERR_OK) {
        struct txn_row row;
        bool found;
        err = pass_next(&pass, &row, &found);
        if (err != ERR_OK || !found) {
            break;
        }
        err = check_row(ddl, &pass.row, rewrite, pass.values);
    }
    pass_close(&pass);
    return err;
}

/* What the domain said of a value, as ALTER DOMAIN says it of a column. */
static enum err
domain_refused(
    struct ddl *ddl, enum err err, const struct relation *relation, const struct column *column)
{
    if (err == ERR_NOT_NULL) {
        return diag_set(ddl->diag, err, "column \"%s\" of table \"%s\" contains null values",
            column->name, relation->name);
    }
    return err != ERR_CHECK ? err
                            : diag_set(ddl->diag, err,
                                  "column \"%s\" of table \"%s\" contains values that violate the "
                                  "new constraint",
                                  column->name, relation->name);
}

enum err
ddl__verify_domain(struct ddl *ddl, const struct relation *relation, uint16_t at)
{
    const struct column *column = &relation->columns[at];
    struct pass pass;
    enum err err = pass_open(&pass, ddl, relation);
    pass.wanted[pass.wanted_count++] = at;
    while (err == ERR_OK) {
        struct txn_row row;
        bool found;
        err = pass_next(&pass, &row, &found);
        if (err != ERR_OK || !found) {
            break;
        }
        struct eval eval = {
            .task = ddl->task, .arena = &pass.row, .diag = ddl->diag, .env = ddl->context->env};
        err = domain_refused(
            ddl, value_domain_check(&eval, column->domain, pass.values[at]), relation, column);
    }
    pass_close(&pass);
    return err;
}

/* ---- rewriting
 * ----------------------------------------------------------------------------------- */

/* The new row's columns from the old one's. */
static enum err
new_values(const struct pass *pass, struct arena *arena, const struct ddl__rewrite *rewrite,
    struct datum *values)
{
    for (uint16_t i = 0; i < rewrite->to->column_count; i++) {
        if (rewrite->values != NULL && rewrite->values[i] != NULL) {
            TRY(ddl__evaluate(pass->ddl, arena, rewrite->values[i], pass->values, &values[i]));
        } else {
            values[i] = i < rewrite->from->column_count ? pass->values[i] : datum_null();
        }
    }
    return ERR_OK;
}

/* The key of the new row: by the new primary key; else the old row id; or a new one where the
 * table had a primary key until now. */
static enum err
new_key(struct ddl *ddl, const struct ddl__rewrite *rewrite, const struct datum *values,
    struct slice old_key, struct buffer *key)
{
    key->size = 0;
    if (rewrite->to->primary != NULL) {
        index_row_key(rewrite->to, values, key);
    } else if (rewrite->from->primary == NULL) {
        buffer_add(key, old_key.data, old_key.size);
    } else {
        uint64_t row_id;
        TRY(catalog_next_row_id(ddl->task, ddl->context->store, rewrite->to, &row_id, ddl->diag));
        index_row_id_key(row_id, key);
    }
    return ERR_OK;
}

static enum err
rewrite_row(struct pass *pass, const struct ddl__rewrite *rewrite, bool same_bytes,
    struct datum *values, const struct txn_row *row, struct buffer *key, struct buffer *value)
{
    struct ddl *ddl = pass->ddl;
    TRY(new_values(pass, &pass->row, rewrite, values));
    TRY(check_row(ddl, &pass->row, rewrite, values));
    TRY(new_key(ddl, rewrite, values, row->key, key));
    struct slice bytes = row->value;
    if (!same_bytes) {
        value->size = 0;
        row_encode(rewrite->to->layout, values, value);
        bytes = slice_of(value->data, value->size);
    }
    enum err err = txn_insert(ddl->task, ddl->context->txn, rewrite->to->tree,
        slice_of(key->data, key->size), bytes, &pass->row, NULL, ddl->diag);
    if (err == ERR_UNIQUE) {
        err = duplicate_key(ddl, rewrite->to, rewrite->to->primary, values);
    }
    return err;
}

enum err
ddl__rewrite(struct ddl *ddl, const struct ddl__rewrite *rewrite)
{
    TRY(check_own_snapshot(ddl, rewrite->from));
    struct pass pass;
    struct buffer key = {0};
    struct buffer value = {0};
    enum err err = pass_open(&pass, ddl, rewrite->from);
    /* ADD PRIMARY KEY: the stored rows stay as they are, and only the key is looked at. */
    bool same_bytes = rewrite->values == NULL;
    if (err != ERR_OK) {
        pass_close(&pass);
        return err;
    }
    if (same_bytes && rewrite->checks == NULL && rewrite->to->primary != NULL) {
        want_index(&pass, rewrite->to->primary);
    } else {
        want_all(&pass);
    }
    struct datum *values = arena_array(&pass.arena, rewrite->to->column_count, sizeof *values);
    while (err == ERR_OK) {
        struct txn_row row;
        bool found;
        err = pass_next(&pass, &row, &found);
        if (err != ERR_OK || !found) {
            break;
        }
        err = rewrite_row(&pass, rewrite, same_bytes, values, &row, &key, &value);
    }
    buffer_destroy(&key);
    buffer_destroy(&value);
    pass_close(&pass);
    return err;
}

/* ---- trees
 * --------------------------------------------------------------------------------------- */

enum err
ddl__new_trees(struct ddl *ddl, struct ddl__edit *edit, bool table, const bool *secondary)
{
    struct txn *txn = ddl->context->txn;
    if (table) {
        TRY(txn_tree_drop(ddl->task, txn, edit->relation.tree, ddl->diag));
        TRY(txn_tree_create(ddl->task, txn, &edit->relation.tree, ddl->diag));
    }
    for (uint16_t i = 0; i < edit->relation.index_count; i++) {
        struct index *index = &edit->indexes[i];
        if (!index->primary && (secondary == NULL || secondary[i])) {
            if (index->tree.v != 0) {
                TRY(txn_tree_drop(ddl->task, txn, index->tree, ddl->diag));
            }
            TRY(txn_tree_create(ddl->task, txn, &index->tree, ddl->diag));
        }
    }
    ddl__edit_complete(ddl, edit);
    return ERR_OK;
}
