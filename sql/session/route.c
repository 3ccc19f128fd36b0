/*
 * sql/session/route.c - statements that a router has sent: for which buckets, as of which moment.
 *
 * What is said by message counts until the next ReadyForQuery, what is said by SET tusk.route until
 * it is changed. On a server that is no node of a cluster a route says nothing.
 */
#include <stdio.h>

#include "base/mem.h"
#include "shard/lease.h"
#include "shard/settled.h"
#include "sql/catalog/buckets.h"
#include "sql/catalog/edit.h"
#include "sql/catalog/replicated.h"
#include "sql/session/body.h"
#include "sql/session/session_internal.h"

struct session_route {
    struct arena message_memory, text_memory, settled_memory;
    struct shard_route message, text;
    bool by_message, by_text;
    uint64_t reads_at; /* of this transaction; 0: not said */
    struct shard_settled settled;
    bool by_settled;
    bool wrote;              /* this transaction has had a routed statement that writes */
    bool changes_replicated; /* or one that changes replicated tables */
    uint64_t replicated;     /* their version then, once it is about to commit */
};

static struct session_route *
route_of(struct sql_session *session)
{
    if (session->route == NULL) {
        session->route = mem_zalloc(sizeof *session->route);
        arena_create(&session->route->message_memory, "route");
        arena_create(&session->route->text_memory, "route");
        arena_create(&session->route->settled_memory, "open sagas");
    }
    return session->route;
}

void
route__destroy(struct sql_session *session)
{
    if (session->route != NULL) {
        arena_destroy(&session->route->message_memory);
        arena_destroy(&session->route->text_memory);
        arena_destroy(&session->route->settled_memory);
        mem_free(session->route);
    }
}

enum err
sql_session_route(struct sql_session *session, struct slice body, struct diag *diag)
{
    struct session_route *route = route_of(session);
    arena_reset(&route->message_memory);
    route->by_message = false;
    TRY(shard_route_decode(&route->message_memory, body, &route->message, diag));
    route->by_message = true;
    route->changes_replicated |= route->message.replicated == SHARD_REPLICATED_CHANGES;
    return ERR_OK;
}

enum err
sql_session_settled(struct sql_session *session, struct slice body, struct diag *diag)
{
    struct session_route *route = route_of(session);
    arena_reset(&route->settled_memory);
    route->by_settled = false;
    struct slice bytes =
        slice_of(arena_copy(&route->settled_memory, body.data, body.size), body.size);
    TRY(shard_settled_decode(&route->settled_memory, bytes, &route->settled, diag));
    route->by_settled = true;
    return ERR_OK;
}

enum err
route__set_text(struct sql_session *session, const char *text, struct diag *diag)
{
    if (text[0] == '\0' && session->route == NULL) {
        return ERR_OK;
    }
    struct session_route *route = route_of(session);
    arena_reset(&route->text_memory);
    route->by_text = false;
    TRY(shard_route_parse(&route->text_memory, text, &route->text, diag));
    route->by_text = text[0] != '\0';
    return ERR_OK;
}

void
route__answered(struct sql_session *session)
{
    if (session->route != NULL) {
        session->route->by_message = false;
        session->route->by_settled = false;
    }
}

void
route__transaction_begins(struct sql_session *session)
{
    if (session->route != NULL) {
        session->route->reads_at = 0;
        session->route->wrote = false;
    }
}

const struct shard_route *
route__current(const struct sql_session *session)
{
    const struct session_route *route = session->route;
    return route == NULL       ? NULL
           : route->by_message ? &route->message
           : route->by_text    ? &route->text
                               : NULL;
}

enum err
route__before_snapshot(struct task *task, struct sql_session *session, struct diag *diag)
{
    const struct shard_route *route = route__current(session);
    if (route == NULL) {
        return ERR_OK;
    }
    if (route->hlc != 0) {
        TRY(txn_db_raise_hlc(task, session->engine->db, route->hlc, diag));
    }
    if (route->read_at == 0 || session->route->reads_at == route->read_at) {
        return ERR_OK;
    }
    if (txn_has_snapshot(session->txn) || txn_id(session->txn).v != 0) {
        return diag_set(diag, ERR_ACTIVE_TRANSACTION,
            "the moment to read as of must be said before any query of the transaction");
    }
    TRY(txn_read_at(task, session->txn, route->read_at, diag));
    session->route->reads_at = route->read_at;
    return ERR_OK;
}

static enum err
check_lease(const struct sql_session *session, struct diag *diag)
{
    const struct shard_lease *lease = session->engine->lease;
    if (lease == NULL || shard_lease_holds(lease)) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_NODE_LEASE, "node \"%s\" has no lease and answers no routed writes",
        buckets_node(session->engine->catalogs));
    diag_detail(diag, "It could not be renewed in the control store.");
    return ERR_NODE_LEASE;
}

enum err
route__before_commit(struct task *task, struct sql_session *session, struct diag *diag)
{
    if (txn_changes_replicated(session->txn) ||
        (session->route != NULL && session->route->changes_replicated)) {
        uint64_t version = 0;
        TRY(replicated__before_commit(task, session, &version, diag));
        if (session->route != NULL) {
            session->route->replicated = version;
        }
    }
    return session->route != NULL && session->route->wrote ? check_lease(session, diag) : ERR_OK;
}

enum err
route__check_names(
    struct sql_session *session, const struct catalog *catalog, bool writes, struct diag *diag)
{
    const struct shard_route *route = route__current(session);
    if (route == NULL || buckets_node(session->engine->catalogs)[0] == '\0') {
        return ERR_OK;
    }
    TRY(buckets_check_epoch(catalog, route, diag));
    if (writes) {
        TRY(check_lease(session, diag));
        session->route->wrote = true;
    }
    return ERR_OK;
}

static void
report_number(struct sql_session *session, const char *name, uint64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    session->sink->parameter_status(session->sink->arg, name, text);
}

/* RP3: is the transaction to be listed? RP5. */
static enum err
check_replicated(
    struct task *task, struct sql_session *session, struct txn_snapshot snapshot, struct diag *diag)
{
    const struct shard_route *route = route__current(session);
    struct txn *txn = session->txn;
    if (route == NULL || route->replicated == SHARD_REPLICATED_NONE) {
        if (session->replicated_alone && txn_replicated_permitted(txn) == TXN_REPLICATED_NOTHING) {
            const struct role *role = catalog_role(session->env.catalog, session->env.user);
            if (role != NULL && role->superuser) {
                txn_permit_replicated(txn, TXN_REPLICATED_ALONE);
            }
        }
        return ERR_OK;
    }
    if (route->replicated == SHARD_REPLICATED_CHANGES) {
        txn_permit_replicated(txn, TXN_REPLICATED_LISTED);
        session->route->changes_replicated = true;
    }
    uint64_t version = 0;
    TRY(replicated_check_route(
        task, session->engine->catalogs, txn, snapshot, route, &version, diag));
    if (version != session->reported_replicated) {
        session->reported_replicated = version;
        report_number(session, "tusk.replicated_seen", version);
    }
    return ERR_OK;
}

enum err
route__check_copy(struct task *task, struct sql_session *session, const struct catalog *catalog,
    bool writes, struct diag *diag)
{
    struct catalog_store *store = session->engine->catalogs;
    TRY(route__check_names(session, catalog, writes, diag));
    const struct catalog *before = session->env.catalog;
    session->env.catalog = catalog;
    enum err err =
        buckets_node(store)[0] == '\0'
            ? ERR_OK
            : check_replicated(task, session, catalog_newest_snapshot(store, session->txn), diag);
    session->env.catalog = before;
    return err;
}

enum err
route__check(struct task *task, struct sql_session *session, const struct planned *planned,
    struct txn_snapshot snapshot, struct diag *diag)
{
    struct catalog_store *store = session->engine->catalogs;
    if (buckets_node(store)[0] == '\0') {
        return ERR_OK;
    }
    const struct shard_route *route = route__current(session);
    if (planned->plan->lock_count > 0) {
        TRY(route__check_names(session, planned->catalog, planned->plan->writes, diag));
    }
    TRY(check_replicated(task, session, snapshot, diag));
    if (route != NULL && route->group_count > 0) {
        TRY(buckets_check_route(task, store, session->txn, snapshot, route, diag));
        if (route->confined) {
            return ERR_OK;
        }
    }
    for (uint32_t i = 0; i < planned->plan->lock_count; i++) {
        const struct relation *relation =
            catalog_relation_by_oid(planned->catalog, planned->plan->locks[i].relation);
        if (relation != NULL && relation->sharding != NULL) {
            TRY(buckets_check_table(task, store, session->txn, snapshot, relation, diag));
        }
    }
    return ERR_OK;
}

/* ---- tusk.saga_reads = settled ------------------------------------------------------------------
 */

/* Routers have given this node part in the sagas of a cluster, whose ends it does not know. */
static bool
has_sagas_elsewhere(const struct sql_session *session, const struct catalog *catalog)
{
    return buckets_node(session->engine->catalogs)[0] != '\0' &&
           catalog_relation(catalog, SAGA_SCHEMA, SAGA_LOG_TABLE) != NULL;
}

/* Rows that a saga may have written. */
static bool
reads_rows(const struct planned *planned)
{
    for (uint32_t i = 0; i < planned->plan->lock_count; i++) {
        const struct relation *relation =
            catalog_relation_by_oid(planned->catalog, planned->plan->locks[i].relation);
        if (relation != NULL && strcmp(relation->schema_name, SAGA_SCHEMA) != 0) {
            return true;
        }
    }
    return false;
}

static enum err
hide_open(struct task *task, struct sql_session *session, const struct shard_settled *settled,
    struct txn_snapshot *snapshot, bool reads, struct diag *diag)
{
    uint64_t *numbers = mem_array(settled->count + 1, sizeof *numbers);
    for (size_t i = 0; i < settled->count; i++) {
        numbers[i] = settled->sagas[i].number;
    }
    const struct txn_open_sagas open = {.stamp = settled->stamp,
        .blind = settled->blind,
        .numbers = numbers,
        .count = settled->count};
    enum err err = txn_hide_open_sagas(task, session->txn, snapshot, &open, reads, diag);
    mem_free(numbers);
    const struct sql_saga_hooks *hooks = session->engine->sagas;
    if (err == ERR_OK && hooks != NULL) {
        err = hooks->check_open(task, hooks->arg, session->txn, *snapshot, settled, diag);
    }
    return err;
}

enum err
route__hide_sagas(struct task *task, struct sql_session *session, const struct planned *planned,
    struct txn_snapshot *snapshot, struct diag *diag)
{
    struct txn *txn = session->txn;
    bool reads = !planned->plan->writes;
    bool fixed = txn_isolation(txn) == TXN_REPEATABLE_READ;
    const struct session_route *route = session->route;
    if (!session->settled_reads || (!reads && !fixed)) {
        return ERR_OK;
    }
    if (!has_sagas_elsewhere(session, planned->catalog)) {
        return txn_hide_sagas(txn, snapshot, reads, diag);
    }
    if (route != NULL && route->by_settled) {
        return hide_open(task, session, &route->settled, snapshot, reads, diag);
    }
    if (fixed && txn_hides_sagas(txn)) { /* as its first statement was told */
        return hide_open(task, session, &(struct shard_settled){0}, snapshot, reads, diag);
    }
    if (!reads || !reads_rows(planned)) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
        "a node of a cluster does not know which sagas are unfinished");
    diag_hint(diag, "Settled reads are made through tusk-router.");
    return ERR_FEATURE_NOT_SUPPORTED;
}

void
route__transaction_ended(struct sql_session *session)
{
    session->applied_version = 0;
    session->applied_pieces = 0;
    if (session->route != NULL) {
        session->route->changes_replicated = false;
    }
}

void
route__committed(struct sql_session *session)
{
    uint64_t stamp = txn_commit_hlc(session->txn);
    if (session->route != NULL && session->route->changes_replicated) {
        report_number(session, "tusk.replicated_committed", session->route->replicated);
    }
    if (!session->report_commit_token || stamp == session->reported_hlc) {
        return;
    }
    session->reported_hlc = stamp;
    report_number(session, "tusk.commit_token", stamp);
}
