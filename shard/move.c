/* shard/move.c - see move.h. */
#include "shard/move.h"

#include <stdlib.h>

#include <cjson/cJSON.h>

#include "base/assert.h"

enum {
    LEASE_S = 3,
    KEEPALIVE_US = 500 * 1000,
    ROUNDS_MAX = 50,  /* of changes before the stop */
    STOPS_MAX = 20,   /* tries to have the bucket alone */
    DECIDES_MAX = 20, /* tries against others who change the map */
};

struct move {
    struct task *task;
    struct ctl *ctl;
    const struct move_link *link;
    struct diag *diag;
    struct arena arena, scratch;
    struct move_report *report;
    const char *key;
    uint64_t version; /* of the document */
    uint64_t attempt, epoch;
    uint64_t lease;
    int64_t keepalive_us;
    int64_t sent_us; /* when it was SENT; 0: not by us */
    /* the document */
    const char *group;
    uint32_t bucket;
    bool decided;
    struct shard_map_node from, to;
};

/* ---- the document ---------------------------------------------------------------------------- */

static const char *
format(struct arena *arena, const char *group, uint32_t bucket, const char *from, const char *to,
    bool decided)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "group", group);
    cJSON_AddNumberToObject(root, "bucket", bucket);
    cJSON_AddStringToObject(root, "from", from);
    cJSON_AddStringToObject(root, "to", to);
    cJSON_AddBoolToObject(root, "decided", decided);
    char *text = cJSON_PrintUnformatted(root);
    const char *copy = arena_strdup(arena, text);
    cJSON_free(text);
    cJSON_Delete(root);
    return copy;
}

static const char *
field(struct move *move, const cJSON *root, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, name));
    return text == NULL ? NULL : arena_strdup(&move->arena, text);
}

static enum err
no_such_node(struct diag *diag, const char *name)
{
    return diag_set(diag, ERR_UNDEFINED_OBJECT, "there is no node \"%s\"", name);
}

static enum err
read_map(struct move *move, struct shard_map *map, uint64_t *version)
{
    struct ctl_entry entry;
    TRY(ctl_get(move->task, move->ctl, SHARD_MAP_KEY, &move->arena, &entry, move->diag));
    *version = entry.version;
    return shard_map_parse(&move->arena, entry.value, map, move->diag);
}

static enum err
read_document(struct move *move, bool *over)
{
    struct ctl_entry entry;
    struct shard_map map;
    uint64_t map_version;
    TRY(ctl_get(move->task, move->ctl, move->key, &move->arena, &entry, move->diag));
    *over = entry.value == NULL;
    if (*over) {
        return ERR_OK;
    }
    cJSON *root = cJSON_Parse(entry.value);
    const char *from = field(move, root, "from"), *to = field(move, root, "to");
    move->group = field(move, root, "group");
    const cJSON *bucket = cJSON_GetObjectItemCaseSensitive(root, "bucket");
    move->bucket = cJSON_IsNumber(bucket) ? (uint32_t)bucket->valuedouble : UINT32_MAX;
    move->decided = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "decided"));
    cJSON_Delete(root);
    move->version = entry.version;
    if (move->group == NULL || from == NULL || to == NULL || move->bucket >= SHARD_BUCKETS_MAX) {
        return diag_set(
            move->diag, ERR_CORRUPT, "the document of a move is damaged: %s", move->key);
    }
    TRY(read_map(move, &map, &map_version));
    int a = shard_map_node(&map, from), b = shard_map_node(&map, to);
    if (a < 0 || b < 0) {
        return no_such_node(move->diag, a < 0 ? from : to);
    }
    move->from = map.nodes[a];
    move->to = map.nodes[b];
    move->epoch = map.epoch;
    return ERR_OK;
}

enum err
move_plan(struct task *task, struct ctl *ctl, const char *group, uint32_t bucket, const char *to,
    bool *there, struct diag *diag)
{
    struct move move = {.task = task, .ctl = ctl, .diag = diag};
    struct shard_map map;
    uint64_t map_version, version = 0;
    arena_create(&move.arena, "move");
    *there = false;
    enum err err = read_map(&move, &map, &map_version);
    const struct shard_map_group *found = err == ERR_OK ? shard_map_group(&map, group) : NULL;
    if (err == ERR_OK &&
        (found == NULL || bucket >= found->bucket_count || found->owners[bucket] < 0)) {
        err =
            diag_set(diag, ERR_UNDEFINED_OBJECT, "there is no bucket %u of \"%s\"", bucket, group);
    } else if (err == ERR_OK && shard_map_node(&map, to) < 0) {
        err = no_such_node(diag, to);
    } else if (err == ERR_OK && shard_map_node(&map, to) == found->owners[bucket]) {
        *there = true;
    } else if (err == ERR_OK) {
        const char *key = arena_printf(&move.arena, SHARD_MOVES_PREFIX "%s/%u", group, bucket);
        const struct ctl_compare compares[] = {{key, 0}, {SHARD_MAP_KEY, map_version}};
        const struct ctl_write write = {
            .key = key,
            .value = format(
                &move.arena, group, bucket, map.nodes[found->owners[bucket]].name, to, false),
        };
        bool done = false;
        err = ctl_txn(task, ctl, compares, 2, &write, 1, &done, &version, diag);
        if (err == ERR_OK && !done) {
            err = diag_set(diag, ERR_OBJECT_IN_USE,
                "bucket %u of \"%s\" is being moved, or the map has just changed", bucket, group);
        }
    }
    arena_destroy(&move.arena);
    return err;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static enum err
lost(struct move *move)
{
    return diag_set(move->diag, ERR_OBJECT_IN_USE,
        "another mover has taken over bucket %u of \"%s\"", move->bucket, move->group);
}

static void
at_step(struct move *move, const char *step)
{
    if (move->link->at_step != NULL) {
        move->link->at_step(move->task, move->link->arg, step);
    }
}

/* While we are at it nobody else begins. Not what makes it safe (SH3). */
static enum err
keep_lease(struct move *move)
{
    int64_t now = world_clock_us(task_world(move->task));
    if (now < move->keepalive_us) {
        return ERR_OK;
    }
    bool alive = false;
    TRY(ctl_lease_keepalive(move->task, move->ctl, move->lease, &alive, move->diag));
    move->keepalive_us = now + KEEPALIVE_US;
    return alive ? ERR_OK : lost(move);
}

static enum err
ask(struct move *move, const struct shard_map_node *node, const char *sql, const char **value)
{
    return move->link->query(
        move->task, move->link->arg, node, sql, &move->scratch, value, move->diag);
}

static enum err
tell(struct move *move, const struct shard_map_node *node, const char *sql)
{
    const char *value;
    return ask(move, node, sql, &value);
}

/* As a call, but for the parenthesis that ends it. */
static const char *
with_bucket_and(struct move *move, const char *function)
{
    struct buffer name = {0};
    for (const char *at = move->group; *at != '\0'; at++) {
        buffer_add(&name, at, 1);
        if (*at == '\'') {
            buffer_add_u8(&name, '\'');
        }
    }
    const char *sql = arena_printf(&move->scratch, "SELECT %s('%.*s', %u, %llu", function,
        (int)name.size, (const char *)name.data, move->bucket, (unsigned long long)move->attempt);
    buffer_destroy(&name);
    return sql;
}

static const char *
with_bucket(struct move *move, const char *function)
{
    return arena_printf(&move->scratch, "%s)", with_bucket_and(move, function));
}

/* A piece of bytea, as text, from one to the other; *any false: there was none. */
static enum err
pass(struct move *move, const char *from, bool *any)
{
    const char *piece;
    TRY(keep_lease(move));
    arena_reset(&move->scratch);
    TRY(ask(move, &move->from, from, &piece));
    *any = piece != NULL;
    if (*any) {
        move->report->pieces++;
        TRY(tell(move, &move->to,
            arena_printf(&move->scratch, "SELECT tusk_receive_rows('%s')", piece)));
    }
    return ERR_OK;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* The document, rewritten: whoever was at it before is refused from now on. */
static enum err
take_over(struct move *move)
{
    bool done = false;
    const char *text = format(
        &move->arena, move->group, move->bucket, move->from.name, move->to.name, move->decided);
    TRY(ctl_cas(move->task, move->ctl, move->key, text, &move->version, &done, move->diag));
    move->attempt = move->version;
    at_step(move, "taken");
    return done ? ERR_OK : lost(move);
}

static enum err
follow(struct move *move)
{
    bool any = true;
    for (int round = 0; any && round < ROUNDS_MAX; round++) {
        TRY(pass(move, "SELECT tusk_send_changes()", &any));
        move->report->rounds++;
    }
    return ERR_OK;
}

static enum err
copy(struct move *move)
{
    bool any = true;
    TRY(tell(move, &move->from, with_bucket(move, "tusk_send_begin")));
    at_step(move, "noted");
    while (any) {
        TRY(pass(move, "SELECT tusk_send_rows()", &any));
        at_step(move, any ? "piece" : "copied");
    }
    TRY(follow(move));
    /* What is left is compared by what changes from here on. */
    TRY(tell(move, &move->from, "SELECT tusk_send_verify()"));
    TRY(keep_lease(move));
    TRY(tell(move, &move->to, "SELECT tusk_receive_verify()"));
    at_step(move, "verified");
    return follow(move);
}

static enum err
stop(struct move *move)
{
    const char *sql = arena_printf(&move->arena, "SELECT tusk_send_stop('%s')", move->to.name);
    for (int tries = 1;; tries++) {
        enum err err = tell(move, &move->from, sql);
        if (err != ERR_LOCK_NOT_AVAILABLE || tries == STOPS_MAX) {
            return err;
        }
        bool any; /* somebody writes for long: meanwhile the others go on */
        TRY(pass(move, "SELECT tusk_send_changes()", &any));
    }
}

static enum err
finish_copy(struct move *move)
{
    const char *here, *there;
    bool any = true;
    while (any) {
        TRY(pass(move, "SELECT tusk_send_changes()", &any));
    }
    TRY(ask(move, &move->from, "SELECT tusk_send_sum()", &here));
    TRY(ask(move, &move->to, "SELECT tusk_receive_sum()", &there));
    if (here == NULL || there == NULL || strcmp(here, there) != 0) {
        return diag_set(move->diag, ERR_CORRUPT,
            "the copy of bucket %u of \"%s\" differs: %s at \"%s\", %s at \"%s\"", move->bucket,
            move->group, here == NULL ? "?" : here, move->from.name, there == NULL ? "?" : there,
            move->to.name);
    }
    return ERR_OK;
}

/* MV3. The map and the document, at once. */
static enum err
decide(struct move *move)
{
    const char *text =
        format(&move->arena, move->group, move->bucket, move->from.name, move->to.name, true);
    for (int tries = 0; tries < DECIDES_MAX; tries++) {
        struct shard_map map;
        struct ctl_entry entry;
        uint64_t map_version;
        bool done = false;
        TRY(read_map(move, &map, &map_version));
        struct shard_map_group *group = shard_map_group(&map, move->group);
        int to = shard_map_node(&map, move->to.name);
        if (group == NULL || move->bucket >= group->bucket_count || to < 0) {
            return diag_set(
                move->diag, ERR_UNDEFINED_OBJECT, "bucket or node are gone from the map");
        }
        group->owners[move->bucket] = to;
        map.epoch++;
        const struct ctl_compare compares[] = {
            {move->key, move->version}, {SHARD_MAP_KEY, map_version}};
        const struct ctl_write writes[] = {{.key = move->key, .value = text},
            {.key = SHARD_MAP_KEY, .value = shard_map_format(&move->arena, &map)}};
        uint64_t version;
        TRY(ctl_txn(move->task, move->ctl, compares, 2, writes, 2, &done, &version, move->diag));
        if (done) {
            move->version = version;
            move->epoch = map.epoch;
            move->decided = true;
            return ERR_OK;
        }
        TRY(ctl_get(move->task, move->ctl, move->key, &move->arena, &entry, move->diag));
        if (entry.version != move->version) {
            return lost(move);
        }
    }
    return diag_set(move->diag, ERR_OBJECT_IN_USE, "the map changes too fast");
}

static enum err
hand_over(struct move *move)
{
    const char *stamp;
    move->sent_us = world_clock_us(task_world(move->task));
    TRY(tell(move, &move->from,
        arena_printf(
            &move->scratch, "SELECT tusk_send_decided(%llu)", (unsigned long long)move->epoch)));
    at_step(move, "sent");
    TRY(ask(move, &move->from, "SELECT tusk_hlc()", &stamp)); /* MV5 */
    TRY(tell(move, &move->to,
        arena_printf(&move->scratch, "SELECT tusk_receive_own(%llu, %s)",
            (unsigned long long)move->epoch, stamp == NULL ? "0" : stamp)));
    TRY(tell(move, &move->to, "COMMIT"));
    at_step(move, "owned");
    TRY(tell(move, &move->from, "SELECT tusk_send_end()")); /* who waited is told where it is */
    at_step(move, "told");
    return ERR_OK;
}

/* MV5. The other has it, by this attempt or an earlier one: its clock is past OWNED's stamp. */
static enum err
forget(struct move *move)
{
    const char *stamp;
    TRY(ask(move, &move->to, "SELECT tusk_hlc()", &stamp));
    TRY(tell(move, &move->from,
        arena_printf(&move->scratch, "%s, %s)", with_bucket_and(move, "tusk_send_forget"),
            stamp == NULL ? "0" : stamp)));
    if (move->sent_us != 0) {
        move->report->sent_us = world_clock_us(task_world(move->task)) - move->sent_us;
    }
    return ERR_OK;
}

static enum err
transfer(struct move *move)
{
    struct world *world = task_world(move->task);
    if (!move->decided) { /* what an earlier attempt has stopped goes on meanwhile */
        TRY(tell(move, &move->from, with_bucket(move, "tusk_send_abort")));
    }
    at_step(move, "aborted");
    TRY(copy(move));
    int64_t stopped_us = world_clock_us(world);
    TRY(stop(move));
    at_step(move, "stopped");
    TRY(finish_copy(move));
    at_step(move, "compared");
    TRY(move->decided ? ERR_OK : decide(move));
    at_step(move, "decided");
    TRY(hand_over(move));
    move->report->pause_us = world_clock_us(world) - stopped_us;
    return ERR_OK;
}

static enum err
drive(struct move *move)
{
    const char *state;
    TRY(take_over(move));
    TRY(tell(move, &move->to, "BEGIN"));
    TRY(ask(move, &move->to, with_bucket(move, "tusk_receive_begin"), &state));
    at_step(move, "receives");
    bool owned = state != NULL && strcmp(state, "owned") == 0;
    if (owned && !move->decided) { /* planned by a wrong map: that is put right */
        TRY(decide(move));
    }
    if (owned) {
        TRY(tell(move, &move->to, "ROLLBACK"));
    } else {
        TRY(transfer(move));
    }
    TRY(keep_lease(move));
    TRY(forget(move));
    at_step(move, "gone");
    const struct ctl_compare compare = {move->key, move->version};
    const struct ctl_write away = {.key = move->key};
    bool done = false;
    uint64_t version;
    TRY(ctl_txn(move->task, move->ctl, &compare, 1, &away, 1, &done, &version, move->diag));
    at_step(move, "ended");
    return done ? ERR_OK : lost(move);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum err
take_lease(struct move *move)
{
    bool done = false;
    uint64_t version;
    const char *key = arena_printf(&move->arena, SHARD_MOVERS_PREFIX "%s", move->key);
    const struct ctl_compare compare = {key, 0};
    TRY(ctl_lease_grant(move->task, move->ctl, LEASE_S, &move->lease, move->diag));
    const struct ctl_write write = {.key = key, .value = "at work", .lease = move->lease};
    TRY(ctl_txn(move->task, move->ctl, &compare, 1, &write, 1, &done, &version, move->diag));
    move->keepalive_us = world_clock_us(task_world(move->task)) + KEEPALIVE_US;
    return done ? ERR_OK : lost(move);
}

/* Not the way to it, but what is asked for is wrong: trying again would not help. Or it is not
 * wanted any more. */
static bool
is_final(enum err err)
{
    return err == ERR_FEATURE_NOT_SUPPORTED || err == ERR_CORRUPT || err == ERR_UNDEFINED_OBJECT ||
           err == ERR_UNDEFINED_TABLE || err == ERR_OBJECT_STATE ||
           err == ERR_INSUFFICIENT_PRIVILEGE || err == ERR_UNIQUE || err == ERR_QUERY_CANCELED;
}

/* MV3: the document is ours in this version, and undecided: nobody decides any more once it is
 * away. The state goes back after that; if we die in between the next mover of the bucket does it.
 */
static void
give_up(struct move *move, bool *given_up)
{
    struct diag words = *move->diag; /* the first error's */
    const struct ctl_compare compare = {move->key, move->version};
    const struct ctl_write away = {.key = move->key};
    bool done = false;
    uint64_t version;
    move->link->hang_up(move->task, move->link->arg);
    enum err err = tell(move, &move->from, with_bucket(move, "tusk_send_abort"));
    /* OBJECT_STATE: it is not there, the map that it was planned by was wrong. */
    if ((err == ERR_OK || err == ERR_OBJECT_STATE) &&
        ctl_txn(move->task, move->ctl, &compare, 1, &away, 1, &done, &version, move->diag) ==
            ERR_OK) {
        *given_up = done;
    }
    *move->diag = words;
}

enum err
move_run(struct task *task, struct ctl *ctl, const struct move_link *link, const char *key,
    struct move_report *report, bool *given_up, struct diag *diag)
{
    struct move move = {
        .task = task, .ctl = ctl, .link = link, .diag = diag, .report = report, .key = key};
    int64_t began_us = world_clock_us(task_world(task));
    *given_up = false;
    *report = (struct move_report){.attempts = 1};
    arena_create(&move.arena, "move");
    arena_create(&move.scratch, "move");
    enum err err = take_lease(&move);
    if (err == ERR_OK) {
        at_step(&move, "lease");
        err = read_document(&move, &report->over);
        err = err == ERR_OK && !report->over ? drive(&move) : err;
        if (err != ERR_OK && !move.decided && move.attempt != 0 && is_final(err)) {
            give_up(&move, given_up);
        }
        struct diag ignored;
        (void)(ctl_lease_revoke(task, ctl, move.lease, &ignored) == ERR_OK);
    }
    link->hang_up(task, link->arg);
    report->all_us = world_clock_us(task_world(task)) - began_us;
    arena_destroy(&move.arena);
    arena_destroy(&move.scratch);
    return err;
}
