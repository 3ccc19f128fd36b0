/*
 * tests/shard/mover.c - the mover of shard/move.h as a program, with libpq for its sessions: what
 * tests/system/moves.py kills, stops and starts again.
 *
 *     tusk_mover CTL node NAME HOST PORT      adds a node to the map
 *     tusk_mover CTL group NAME BUCKETS       adds a group and deals its buckets out
 *     tusk_mover CTL map                      shows the map
 *     tusk_mover CTL move GROUP BUCKET NODE   plans, and runs until it is done
 *     tusk_mover CTL resume                   runs whatever stands there
 *     tusk_mover CTL steps                    names the steps of a move
 *
 * With TUSK_MOVER_STOP=STEP in its environment it stops itself (SIGSTOP) when it has done this step
 * for the first time.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/mem.h"
#include "shard/move.h"
#include "tests/unit/world_run.h"

enum {
    SESSIONS_MAX = 8,
    RETRIES_MAX = 200,
    RETRY_US = 100 * 1000,
};

struct links {
    struct {
        char name[64];
        PGconn *connection;
    } sessions[SESSIONS_MAX];
    size_t count;
};

static enum err
code_of(const char *state)
{
    for (int i = 1; i < ERR_COUNT; i++) {
        if (strcmp(err_sqlstate((enum err)i), state) == 0) {
            return (enum err)i;
        }
    }
    return ERR_CONNECTION_FAILURE;
}

static PGconn *
session_of(struct links *links, const struct shard_map_node *node)
{
    for (size_t i = 0; i < links->count; i++) {
        if (strcmp(links->sessions[i].name, node->name) == 0) {
            return links->sessions[i].connection;
        }
    }
    char text[256];
    (void)snprintf(text, sizeof text,
        "host=%s port=%u user=postgres dbname=postgres connect_timeout=2 sslmode=disable",
        node->host, node->port);
    ASSERT(links->count < SESSIONS_MAX);
    (void)snprintf(links->sessions[links->count].name, 64, "%s", node->name);
    return links->sessions[links->count++].connection = PQconnectdb(text);
}

static enum err
query(struct task *task, void *arg, const struct shard_map_node *node, const char *sql,
    struct arena *arena, const char **value, struct diag *diag)
{
    (void)task;
    PGresult *result = PQexec(session_of(arg, node), sql);
    ExecStatusType status = PQresultStatus(result);
    enum err err = ERR_OK;
    *value = NULL;
    if (status == PGRES_TUPLES_OK) {
        if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0)) {
            *value = arena_strdup(arena, PQgetvalue(result, 0, 0));
        }
    } else if (status != PGRES_COMMAND_OK) {
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        err = diag_set(diag, state == NULL ? ERR_CONNECTION_FAILURE : code_of(state), "%s: %s",
            node->name, words == NULL ? "connection lost" : words);
    }
    PQclear(result);
    return err;
}

static void
hang_up(struct task *task, void *arg)
{
    (void)task;
    struct links *links = arg;
    for (size_t i = 0; i < links->count; i++) {
        PQfinish(links->sessions[i].connection);
    }
    links->count = 0;
}

static void
check(enum err err, const struct diag *diag)
{
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", err_sqlstate(err), diag->message);
        exit(1);
    }
}

/* ---- commands -------------------------------------------------------------------------------- */

struct command {
    int argc;
    char **argv;
};

static void
change_map(struct task *task, struct ctl *ctl, const struct command *command)
{
    struct arena arena;
    struct diag diag;
    bool done = false;
    arena_create(&arena, "map");
    while (!done) {
        struct ctl_entry entry;
        struct shard_map map;
        check(ctl_get(task, ctl, SHARD_MAP_KEY, &arena, &entry, &diag), &diag);
        check(shard_map_parse(&arena, entry.value, &map, &diag), &diag);
        if (strcmp(command->argv[2], "node") == 0) {
            shard_map_add_node(
                &arena, &map, command->argv[3], command->argv[4], (uint16_t)atoi(command->argv[5]));
        } else if (strcmp(command->argv[2], "group") == 0) {
            struct shard_map_group *group = shard_map_add_group(
                &arena, &map, command->argv[3], (uint32_t)atoi(command->argv[4]));
            shard_map_distribute(&map, group);
        } else {
            (void)printf("%s\n", entry.value == NULL ? "{}" : entry.value);
            break;
        }
        map.epoch++;
        check(ctl_cas(task, ctl, SHARD_MAP_KEY, shard_map_format(&arena, &map), &entry.version,
                  &done, &diag),
            &diag);
    }
    arena_destroy(&arena);
}

static void
at_step(struct task *task, void *arg, const char *step)
{
    static bool stopped;
    (void)task;
    (void)arg;
    const char *wanted = getenv("TUSK_MOVER_STOP");
    if (wanted != NULL && !stopped && strcmp(wanted, step) == 0) {
        stopped = true;
        (void)raise(SIGSTOP);
    }
}

/* Until it is over; other movers may be at it, nodes may be away. */
static bool
run(struct task *task, struct ctl *ctl, const char *key)
{
    struct links links = {.count = 0};
    const struct move_link link = {
        .arg = &links, .query = query, .hang_up = hang_up, .at_step = at_step};
    for (int tries = 0; tries < RETRIES_MAX; tries++) {
        struct move_report report;
        struct diag diag;
        bool given_up;
        enum err err = move_run(task, ctl, &link, key, &report, &given_up, &diag);
        if (err == ERR_OK && report.over) {
            return true; /* somebody else's */
        }
        if (err == ERR_OK) {
            (void)printf("{\"key\":\"%s\",\"pause_us\":%lld,\"sent_us\":%lld,\"all_us\":%lld,"
                         "\"pieces\":%llu,"
                         "\"rounds\":%llu,\"tries\":%d}\n",
                key, (long long)report.pause_us, (long long)report.sent_us,
                (long long)report.all_us, (unsigned long long)report.pieces,
                (unsigned long long)report.rounds, tries + 1);
            (void)fflush(stdout);
            return true;
        }
        (void)fprintf(stderr, "%s: %s\n", err_sqlstate(err), diag.message);
        if (given_up) {
            return false;
        }
        task_sleep(task, RETRY_US);
    }
    return false;
}

static void
command_main(struct task *task, void *arg)
{
    const struct command *command = arg;
    struct ctl *ctl;
    struct diag diag;
    struct arena arena;
    bool good = true;
    arena_create(&arena, "mover");
    check(ctl_open(task, command->argv[1], &ctl, &diag), &diag);
    if (strcmp(command->argv[2], "move") == 0) {
        bool there;
        uint32_t bucket = (uint32_t)atoi(command->argv[4]);
        check(
            move_plan(task, ctl, command->argv[3], bucket, command->argv[5], &there, &diag), &diag);
        good = there ||
               run(task, ctl,
                   arena_printf(&arena, SHARD_MOVES_PREFIX "%s/%u", command->argv[3], bucket));
    } else if (strcmp(command->argv[2], "resume") == 0) {
        struct ctl_entry *entries;
        size_t count;
        check(ctl_list(task, ctl, SHARD_MOVES_PREFIX, &arena, &entries, &count, &diag), &diag);
        for (size_t i = 0; i < count; i++) {
            good = run(task, ctl, entries[i].key) && good;
        }
    } else if (strcmp(command->argv[2], "steps") == 0) {
        static const char *const steps[] = {MOVE_STEPS};
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            (void)printf("%s\n", steps[i]);
        }
    } else {
        change_map(task, ctl, command);
    }
    ctl_close(task, ctl);
    arena_destroy(&arena);
    if (!good) {
        exit(2);
    }
}

int
main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "see the head of tests/shard/mover.c\n");
        return 1;
    }
    struct command command = {argc, argv};
    run_os(1, command_main, &command);
    return 0;
}
