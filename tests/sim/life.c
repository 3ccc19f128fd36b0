/*
 * tests/sim/life.c - one life of the server: recovery, verification, clients at work, and an end.
 *
 * The tasks: `server` looks at the data file as the last life left it (what tuskd --check does) and
 * runs the server; `lead` verifies as the only client, starts the others, and stops the world when
 * they are done. A crash may come anywhere in this.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "sql/catalog/verify.h"
#include "tests/sim/sim.h"
#include "txn/txn.h"

struct life life;
const char *const sim_isolations[3] = {"read committed", "repeatable read", "serializable"};

enum {
    START_PATIENCE_US = 60 * 1000000, /* for recovery */
    PATIENCE_US = 1000000,            /* for a server that is there */
    CLIENTS_MAX = 32,
    TRIES_MAX = 20,
    CONNECTS_MAX = 500,
    ARGUMENTS_MAX = 4,
};

static bool server_ended;
static unsigned clients_left;
static struct task *lead_task;
static struct client *clients[CLIENTS_MAX];

int64_t
sim_now_us(void)
{
    return kept->clock_us + (life.now == NULL ? 0 : world_sim_now_us(life.now));
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Words that name a file: whoever reads them knows where to look. */
static bool
names_file(const char *message)
{
    return strstr(message, "db/") != NULL || strstr(message, "data.tusk") != NULL ||
           strstr(message, "run.tusk") != NULL || strstr(message, "the log ") != NULL ||
           strstr(message, "\"db\"") != NULL;
}

static bool
is_allowed(const struct client *client)
{
    const char *code = client->sqlstate;
    if (strcmp(code, "40001") == 0 || strcmp(code, "40P01") == 0) {
        return strcmp(client->name, "model") != 0; /* which is alone on its tables */
    }
    if (strcmp(code, "3D000") == 0) {
        return client->database != NULL; /* side.c knows whether it should be there */
    }
    if (strcmp(code, "57014") == 0) {
        return (life.workloads & SIM_ADMIN) != 0; /* who cancels */
    }
    if (strcmp(code, "58030") == 0 || strcmp(code, "53100") == 0) {
        return life.faulty;
    }
    if (strcmp(code, "XX001") == 0) {
        return kept->damaged && names_file(client->message);
    }
    /* It shuts down, it starts up, the connection has failed. */
    return strcmp(code, "57P01") == 0 || strcmp(code, "57P03") == 0 || strcmp(code, "08006") == 0;
}

void
sim_check_error(const struct client *client, const char *doing)
{
    if (!is_allowed(client)) {
        sim_fail("%s, %s: %s %s", client->name, doing, client->sqlstate, client->message);
    }
    if (strcmp(client->sqlstate, "XX001") == 0) {
        kept->refused = true;
    }
}

void
sim_tempt(struct client *client, uint64_t bound)
{
    if (life.sudden && kept_one_in(bound)) {
        world_sim_crash(client->task, "power cut at a bad moment");
    }
}

bool
sim_must(struct client *client, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (int i = 0; i < 100; i++) {
        enum answer answer = client_query_text(client, text);
        if (answer != ANSWER_ERROR) {
            return answer == ANSWER_DONE;
        }
        sim_check_error(client, text);
        if (kept->refused) {
            return false;
        }
        if (client->status != 'I' && client_query_text(client, "rollback") == ANSWER_LOST) {
            return false;
        }
    }
    sim_fail("%s: \"%s\" fails again and again: %s", client->name, text, client->message);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void
note_fault(void *arg, const char *words)
{
    (void)arg;
    if (!kept->damaged) {
        sim_fail("--check: %s", words);
    }
    kept->refused = true;
}

static void
ignore_tree(void *arg, tree_id_t tree, uint64_t pages, uint64_t rows)
{
    (void)arg;
    (void)tree;
    (void)pages;
    (void)rows;
}

static void
ignore_table(void *arg, const struct relation *relation, uint64_t rows, uint64_t faults)
{
    (void)arg;
    (void)relation;
    (void)rows;
    (void)faults;
}

static enum err
check_database(struct task *task, struct txn_db *db, struct diag *diag)
{
    const struct btree_check_listener trees = {.fault = note_fault, .tree = ignore_tree};
    struct btree_check_report report = {0};
    TRY(txn_db_check(task, db, &trees, &report, diag));
    if (txn_db_is_new(db) || report.faults > 0) {
        return ERR_OK;
    }
    struct catalog_store *store = NULL;
    TRY(catalog_open(task, db, life.server.system_user, &store, diag));
    const struct verify_listener tables = {.fault = note_fault, .table = ignore_table};
    struct verify_report verified = {0};
    enum err err = catalog_verify(task, db, store, &tables, &verified, diag);
    catalog_close(store);
    sim_tell("checked %llu trees, %llu pages, %llu index entries", (unsigned long long)report.trees,
        (unsigned long long)report.pages, (unsigned long long)verified.entries);
    return err;
}

/* What tuskd --check does. */
static void
check_files(struct task *task, const char *when)
{
    struct diag *diag = mem_zalloc(sizeof *diag);
    struct txn_db_options options = {
        .directory = life.server.data_directory, .cache_size = life.cache_size};
    struct txn_db *db = NULL;
    enum err err = txn_db_open_checkpoint(task, &options, &db, diag);
    if (err == ERR_OK) {
        err = check_database(task, db, diag);
        txn_db_close(task, db);
    }
    bool none_yet = err == ERR_UNDEFINED_FILE && !kept->set_up;
    if (err != ERR_OK && !none_yet && !life.faulty &&
        !(kept->damaged && names_file(diag->message))) {
        sim_fail("--check %s: %s", when, diag->message);
    }
    mem_free(diag);
}

static void
make_arguments(char texts[ARGUMENTS_MAX][64], const char *arguments[ARGUMENTS_MAX])
{
    (void)snprintf(texts[0], 64, "port=%d", SIM_PORT);
    (void)snprintf(
        texts[1], 64, "shared_buffers=%llukB", (unsigned long long)life.cache_size / 1024);
    (void)snprintf(texts[2], 64, "max_connections=64");
    (void)snprintf(texts[3], 64, "tusk.saga_history=%s", sagas_history());
    for (int i = 0; i < ARGUMENTS_MAX; i++) {
        arguments[i] = texts[i];
    }
}

static void
server_main(struct task *task, void *arg)
{
    (void)arg;
    if (life.number > 0) {
        check_files(task, "before the start");
    }
    struct diag *diag = mem_zalloc(sizeof *diag);
    static const char *arguments[ARGUMENTS_MAX];
    char texts[ARGUMENTS_MAX][64];
    make_arguments(texts, arguments);
    enum err err = sql_config_load(
        task, life.server.data_directory, arguments, ARGUMENTS_MAX, &life.server.config, diag);
    if (err == ERR_OK) {
        life.server.arguments = arguments;
        life.server.argument_count = ARGUMENTS_MAX;
        err = server_run(task, &life.server, diag);
        sql_config_release(life.server.config);
        life.server.config = NULL;
    }
    if (err != ERR_OK) {
        sim_tell("the server ended: %s", diag->message);
        bool damage = err == ERR_CORRUPT || err == ERR_CONFIG_FILE;
        if (kept->damaged && damage && names_file(diag->message)) {
            kept->refused = true;
        } else if (!life.faulty) {
            sim_fail("the server did not start: %s (%s)", diag->message, diag->detail);
        }
    } else if (life.last && !kept->refused) {
        check_files(task, "after the end");
    }
    mem_free(diag);
    server_ended = true;
    world_stop(life.now);
}

/* ---- clients --------------------------------------------------------------------------------- */

static bool
admin_step(struct client *client)
{
    static const char *const statements[] = {
        "checkpoint",
        "checkpoint",
        "checkpoint",
        "select count(*) from pg_locks",
        "select count(*) from pg_stat_activity",
        "select sum(balance), count(*) from accounts a, history h where a.id = source",
        ("select a.source, count(*) from history a join history b on a.source = b.target "
         "group by a.source order by 2 desc"),
    };
    task_sleep(client->task, (int64_t)kept_draw(20000));
    if (kept_one_in(4)) {
        const struct client *other = clients[kept_draw(CLIENTS_MAX)];
        if (other != NULL && other != client && strcmp(other->name, "lead") != 0) {
            client_cancel(client->task, other);
            return true;
        }
    }
    if (kept_one_in(3)) {
        return side_step(client);
    }
    if (kept_one_in(4)) { /* a snapshot that holds back what others replace */
        if (!sim_must(client, "begin isolation level repeatable read") || !bank_look(client)) {
            return false;
        }
        task_sleep(client->task, (int64_t)kept_draw(30000));
        if (!bank_look(client) || !sim_must(client, "commit")) {
            return false;
        }
        bank_shown(client);
        return true;
    }
    size_t which = (size_t)kept_draw(life.workloads & SIM_BANK ? 7 : 5);
    if (client_query_text(client, statements[which]) == ANSWER_ERROR) {
        sim_check_error(client, statements[which]);
    }
    return client->answer != ANSWER_LOST;
}

struct worker {
    const char *name;
    bool (*step)(struct client *client);
    unsigned index;
};
static struct worker workers[CLIENTS_MAX];

/* The session that a cut connection leaves behind may be committing still. */
static bool
alone_again(struct client *client)
{
    for (;;) {
        if (!sim_must(client, "select count(*) from pg_stat_activity where application_name = '%s'",
                client->name)) {
            return false;
        }
        if (client_int(client, 0, 0) == 1) {
            return true;
        }
        task_sleep(client->task, 1000);
    }
}

static bool
connect_again(struct client *client, const struct worker *worker)
{
    /* A disk and a network that are bad enough may never let it see all of its tables. */
    for (int tries = 0; tries < CONNECTS_MAX; tries++) {
        if (server_ended || kept->refused || !client_connect(client, PATIENCE_US)) {
            return false;
        }
        if (worker->step != model_step || (alone_again(client) && model_verify(client))) {
            return true;
        }
    }
    return false;
}

static void
worker_main(struct task *task, void *arg)
{
    const struct worker *worker = arg;
    struct client *client = mem_zalloc(sizeof *client);
    client_create(client, task, worker->name);
    clients[worker->index] = client;
    bool connected = connect_again(client, worker);
    for (unsigned i = 0; i < life.steps && connected && !kept->refused; i++) {
        if (!worker->step(client)) {
            connected = connect_again(client, worker);
        }
        if (kept_one_in(8)) {
            task_sleep(task, (int64_t)kept_draw(3000));
        }
    }
    if (worker->step == model_step && connected && client->socket != NULL) {
        connected = client->status == 'I' || sim_must(client, "rollback");
        /* What was sent has been answered: nothing is unknown. */
        if (connected && !kept->refused) {
            (void)model_verify(client);
        }
    }
    clients[worker->index] = NULL;
    client_destroy(client);
    mem_free(client);
    clients_left--;
    task_unpark(lead_task);
}

static unsigned
start_worker(unsigned index, const char *name, bool (*step)(struct client *client))
{
    workers[index] = (struct worker){.name = name, .step = step, .index = index};
    clients_left++;
    struct diag diag;
    enum err err =
        task_spawn(life.now, WORLD_ANY_WORKER, "client", worker_main, &workers[index], &diag);
    ASSERT(err == ERR_OK);
    return index + 1;
}

/* ---- the lead -------------------------------------------------------------------------------- */

static bool
set_up(struct client *client)
{
    enum answer answer = client_query(client, "select 1 from accounts limit 1");
    if (answer == ANSWER_DONE) {
        kept->set_up = true;
        return true;
    }
    if (!client_is_error(client, "42P01")) {
        if (answer == ANSWER_ERROR) {
            sim_check_error(client, "a look at the tables");
        }
        return false;
    }
    if (kept->set_up && !kept->lied) {
        sim_fail("the tables were acknowledged and are lost");
    }
    if (!sim_must(client, "begin")) {
        return false;
    }
    bank_set_up(client);
    lists_set_up(client);
    model_set_up(client);
    sagas_set_up(client);
    if (client->socket == NULL || client_query(client, "commit") != ANSWER_DONE) {
        if (client->socket != NULL) {
            sim_check_error(client, "setting up");
        }
        return false;
    }
    if (strcmp(client->tag, "COMMIT") != 0) {
        if (!life.faulty) {
            sim_fail("setting up failed");
        }
        return false;
    }
    kept->set_up = true;
    return true;
}

static bool
verify(struct client *client)
{
    return set_up(client) && bank_verify(client) && sagas_verify(client) &&
           (kept->lied || (lists_verify(client) && model_verify(client)));
}

static void
lead_main(struct task *task, void *arg)
{
    (void)arg;
    lead_task = task;
    struct client *client = mem_zalloc(sizeof *client);
    client_create(client, task, "lead");
    bool good = false;
    for (int tries = 0; !good && !server_ended && !kept->refused && tries < TRIES_MAX; tries++) {
        good = client_connect(client, START_PATIENCE_US) && verify(client);
        if (!good && !life.faulty && !life.cuts && !kept->damaged) {
            sim_fail("no connection for verifying: %s", client->message);
        }
    }
    sim_tell("verified: %s", good ? "good" : "no");
    client_close(client);
    unsigned at = 0;
    for (unsigned i = 0; good && i < life.clients; i++) {
        static const char *const banks[] = {"bank0", "bank1", "bank2", "bank3"};
        static const char *const lists[] = {"list0", "list1", "list2", "list3"};
        static const char *const sagas[] = {"saga0", "saga1", "saga2", "saga3"};
        at = (life.workloads & SIM_BANK) != 0 ? start_worker(at, banks[i % 4], bank_step) : at;
        at = (life.workloads & SIM_LISTS) != 0 ? start_worker(at, lists[i % 4], lists_step) : at;
        at = (life.workloads & SIM_SAGAS) != 0 ? start_worker(at, sagas[i % 4], sagas_step) : at;
    }
    if (good && (life.workloads & SIM_MODEL) != 0) {
        at = start_worker(at, "model", model_step);
    }
    if (good && (life.workloads & SIM_ADMIN) != 0) {
        (void)start_worker(at, "admin", admin_step);
    }
    while (clients_left > 0) {
        task_park(task, WORLD_NEVER);
    }
    if (good && life.last && !server_ended && client_connect(client, PATIENCE_US) &&
        !(verify(client) && sagas_settle(client)) && !kept->damaged && !life.faulty) {
        sim_fail("no connection for the last look");
    }
    client_destroy(client);
    mem_free(client);
    if (!server_ended) {
        static const int signals[] = {SIGTERM, SIGTERM, SIGINT, SIGQUIT};
        bool whole = life.last || kept->template; /* nothing of it may be left in memory */
        world_sim_signal(life.now, signals[whole ? 0 : kept_draw(4)]);
    }
}

/* ---- the world ------------------------------------------------------------------------------- */

static struct buffer
run_world(uint64_t seed)
{
    struct diag diag;
    life.now = world_sim_new(seed, &life.world);
    server_ended = false;
    enum err err = task_spawn(life.now, 0, "server", server_main, NULL, &diag);
    ASSERT(err == ERR_OK);
    err = task_spawn(life.now, 1, "lead", lead_main, NULL, &diag);
    ASSERT(err == ERR_OK);
    world_run(life.now);
    const char *crashed = world_sim_crashed(life.now);
    sim_tell("the end of life %u: %s", life.number, crashed == NULL ? "stopped" : crashed);
    if (crashed == NULL && !server_ended) {
        sim_fail("nothing can happen any more, and the server has not ended");
    }
    if (crashed != NULL && life.last) {
        sim_fail("the server ended itself: %s", crashed);
    }
    struct buffer disk = {0};
    world_sim_disk(life.now, life.end, &disk);
    return disk;
}

_Noreturn void
life_run(void)
{
    uint64_t seed = hash_u64(kept->chance ^ (life.number + 1));
    struct buffer disk = run_world(seed);
    if (disk.size > 0) { /* not in a life that ends before its first sync */
        memcpy(kept->disk, disk.data, disk.size);
    }
    kept->disk_size = disk.size;
    kept->ios += world_sim_io_count(life.now);
    kept->clock_us += world_sim_now_us(life.now) + 1000;
    kept->trace = hash_u64(kept->trace ^ world_trace_hash(life.now));
    kept->trace = hash_u64(kept->trace ^ hash64(disk.data, disk.size, 0));
    if (life.last && !kept->refused && !kept->lied) {
        lists_judge();
    }
    _exit(0);
}

void
life_make_template(struct buffer *disk)
{
    *disk = run_world(1);
    world_delete(life.now);
    life.now = NULL;
}
