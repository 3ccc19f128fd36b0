/*
 * saga/database.c - a database goes: its definitions and keys with it, and nothing that has not
 * ended.
 *
 * All is kept by the database's name. So a database with sagas in it is not renamed. What a cluster
 * has, sagas too, is in database postgres of each of its nodes, which therefore stays.
 */
#include "saga/saga_internal.h"

struct leaving {
    struct task *task;
    struct txn *txn;
    struct arena arena;
    const char *name;
    bool drops; /* else it is renamed */
    struct diag *diag;
};

typedef enum err look_at_row(struct leaving *leaving, const struct txn_row *row);

static enum err
refuse(struct leaving *leaving, const char *what)
{
    (void)diag_set(leaving->diag, leaving->drops ? ERR_OBJECT_IN_USE : ERR_FEATURE_NOT_SUPPORTED,
        leaving->drops ? "database \"%s\" has %s"
                       : "renaming database \"%s\", which has %s, is not "
                         "supported",
        leaving->name, what);
    if (leaving->drops) {
        diag_hint(leaving->diag,
            "See tusk_sagas; ALTER SAGA INSTANCE .. COMPENSATE or SKIP STEP may end one.");
    }
    return leaving->diag->code;
}

static enum err
look_at_instance(struct leaving *leaving, const struct txn_row *row)
{
    struct saga_instance instance;
    if (row->key.size != 8) {
        return ERR_OK;
    }
    TRY(saga__decode_instance(
        &leaving->arena, load_be64(row->key.data), row->value, &instance, leaving->diag));
    return strcmp(instance.database, leaving->name) == 0 && !saga__is_final(instance.state)
               ? refuse(leaving, "sagas that have not ended")
               : ERR_OK;
}

/* A definition or a key. */
static enum err
take_row(struct leaving *leaving, enum catalog_tree tree, const struct txn_row *row)
{
    size_t size = strlen(leaving->name) + 1;
    if (row->key.size < size || memcmp(row->key.data, leaving->name, size) != 0) {
        return ERR_OK;
    }
    if (!leaving->drops) {
        return refuse(leaving, "sagas");
    }
    bool found;
    struct slice key =
        slice_of(arena_copy(&leaving->arena, row->key.data, row->key.size), row->key.size);
    return saga__remove(
        leaving->task, leaving->txn, NULL, tree, key, &leaving->arena, &found, leaving->diag);
}

static enum err
take_definition(struct leaving *leaving, const struct txn_row *row)
{
    return take_row(leaving, CATALOG_TREE_SAGAS, row);
}

static enum err
take_key(struct leaving *leaving, const struct txn_row *row)
{
    return take_row(leaving, CATALOG_TREE_SAGA_KEYS, row);
}

static enum err
each(struct leaving *leaving, enum catalog_tree tree, look_at_row *look)
{
    struct txn_scan *scan = NULL;
    const struct txn_range all = {0};
    TRY(txn_scan_open(leaving->task, leaving->txn, txn_statement_begin(leaving->txn),
        saga__tree(tree), &all, false, &leaving->arena, &scan, leaving->diag));
    enum err err = ERR_OK;
    for (bool found = true; err == ERR_OK && found;) {
        struct txn_row row;
        err = txn_scan_next(leaving->task, scan, &row, &found, leaving->diag);
        if (err == ERR_OK && found) {
            err = look(leaving, &row);
        }
        err = err == ERR_OK ? task_breathe(leaving->task, leaving->diag) : err;
    }
    txn_scan_close(leaving->task, scan);
    return err;
}

enum err
saga__database_goes(struct task *task, void *arg, struct sql_session *session, const char *name,
    const char *to, struct diag *diag)
{
    (void)arg;
    if (saga__in_cluster(sql_session_engine(session)) && strcmp(name, SAGA_DATABASE) == 0) {
        return diag_set(
            diag, ERR_OBJECT_IN_USE, "database \"%s\" is what this node has of its cluster", name);
    }
    struct leaving leaving = {.task = task,
        .txn = sql_session_txn(session),
        .name = name,
        .drops = to == NULL,
        .diag = diag};
    arena_create(&leaving.arena, "sagas of a database");
    enum err err = each(&leaving, CATALOG_TREE_SAGA_INSTANCES, look_at_instance);
    if (err == ERR_OK) {
        err = each(&leaving, CATALOG_TREE_SAGAS, take_definition);
    }
    if (err == ERR_OK) {
        err = each(&leaving, CATALOG_TREE_SAGA_KEYS, take_key);
    }
    arena_destroy(&leaving.arena);
    return err;
}
