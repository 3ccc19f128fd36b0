/*
 * tests/sim/sagas.c - money moved by sagas, each effect of a step with a row of its ledger.
 *
 * Promised: in every snapshot the accounts are what the ledger makes them; no effect is there
 * twice; a saga that was acknowledged is listed after every crash, under its number, and one that
 * was told to have failed is not; a key names one saga, whoever asks and how often; what has ended
 * stays as it ended. And when all have been let go on, all end: with all their effects or with
 * none, but for steps that were skipped. Some are in a hurry: those are taken back when their time
 * is over, not before, and never behind the pivot. In some runs what has ended is soon forgotten:
 * not sooner than may be, and what is left of it must be whole.
 */
#include <stdlib.h>

#include "tests/sim/sim.h"

enum {
    ACCOUNTS = 4, /* of each table */
    BALANCE = 500,
    NOWHERE = 99, /* no account */
    WORKS_MAX = 4000,
    SETTLE_TRIES = 20000,
    SETTLE_PAUSE_US = 5000,
    HURRY_US = 150 * 1000,
    HISTORY_US = 2 * 1000 * 1000, /* where it is short */
    HISTORY_MARGIN_US = 800 * 1000,
    FORGOTTEN_US = HISTORY_US + 12 * 1000 * 1000, /* they are looked for every five seconds */
};

enum fate {
    FATE_NONE,
    FATE_OPEN, /* no COMMIT was sent */
    FATE_UNKNOWN,
    FATE_FAILED,
    FATE_THERE,
};

enum ending {
    NOT_ENDED,
    COMPLETED,
    COMPENSATED,
};

/* Effects in the ledger. `take` has UNDO AUTO, which leaves nothing of it. */
enum effect {
    UNGIVEN = -2,
    TAKEN = 1,
    GIVEN = 2,
    BOOKED = 3,
    NOTED = 4,
    EFFECTS = 5,
};

enum spoiled {
    SPOILED_NOT,
    SPOILED_TAKE,
    SPOILED_GIVE,
    SPOILED_BOOK,
    SPOILED_SLOW, /* `take` takes longer than it may, whenever it is tried */
};

static const char *const step_names[] = {"take", "give", "book", "note"};

struct work {
    uint8_t fate, ending, spoiled, from, to;
    uint8_t skips[4]; /* of each step: how often it may have been skipped */
    bool keyed, hurried;
    bool touched; /* by ALTER SAGA INSTANCE */
    bool listed;  /* when last looked at */
    bool gone;    /* it may be forgotten: how it ended need not be known */
    int16_t amount;
    int64_t number; /* 0: not known */
    int64_t sent;   /* when it was first asked for */
    int64_t open;   /* it had not ended then */
};

struct sagas {
    bool forgetful; /* HISTORY_US, not for days */
    uint32_t count;
    uint32_t late; /* answers that told of one taken back because its time was over */
    struct work works[WORKS_MAX];
};

void
sagas_create(void)
{
    kept->sagas = kept_alloc(sizeof *kept->sagas);
    kept->sagas->forgetful = kept_one_in(3);
}

/* n is not part of what is unique by an effect's nature, so that a second one is there to be seen.
 */
#define LEDGER(effect, account)                                                         \
    "insert into saga_ledger select p_id, " effect ", count(*), " account ", p_amount " \
    "from saga_ledger where saga = p_id and effect = " effect

#define MOVE_STEPS(start, limits)                                                                  \
    "step take on saga_left (id => p_from) do $$ " start LEDGER("1",                               \
        "p_from") "; update saga_left set balance = balance - p_amount where id = p_from $$ "      \
                  "undo auto expect rows " limits " "                                              \
                  "step give on saga_right (id => p_to) do $$ " LEDGER("2",                        \
                      "p_to") "; update saga_right set balance = balance + p_amount where id = "   \
                              "p_to $$ "                                                           \
                              "undo $$ " LEDGER("-2",                                              \
                                  "p_to") "; update saga_right set balance = balance - p_amount "  \
                                          "where id = p_to $$ "                                    \
                                          "expect rows retry 5 backoff '1ms' to '20ms' "           \
                                          "step book on saga_ledger (saga => p_id) do $$ " LEDGER( \
                                              "3",                                                 \
                                              "p_to") " having 1 / (3 - p_spoiled) > -2 $$ pivot " \
                                                      "retry 5 backoff '1ms' to '20ms' "           \
                                                      "step note on saga_ledger (saga => p_id) "   \
                                                      "do $$ " LEDGER(                             \
                                                          "4", "p_to") " $$ retriable retry 50 "   \
                                                                       "backoff '1ms' to '20ms'"

void
sagas_set_up(struct client *client)
{
    static const char *const statements[] = {
        "create table saga_left (id int primary key, balance int not null check (balance >= 0))",
        "create table saga_right (id int primary key, balance int not null)",
        "create table saga_ledger (saga int, effect int, n bigint, account int, amount int, "
        "primary key (saga, effect, n))",
        "create saga sim_move (p_id int, p_from int, p_to int, p_amount int, p_spoiled "
        "int) " MOVE_STEPS("", "retry 5 backoff '1ms' to '20ms'"),
        "create saga sim_hurry (p_id int, p_from int, p_to int, p_amount int, p_spoiled int) "
        "timeout '150ms' " MOVE_STEPS("select pg_sleep(10) where p_spoiled = 4; ",
            "retry 1000000 backoff '10ms' to '1s' timeout '10ms'"),
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        (void)client_query_text(client, statements[i]);
    }
    (void)client_query(client, "insert into saga_left select g, %d from generate_series(0, %d) g",
        BALANCE, ACCOUNTS - 1);
    (void)client_query(client, "insert into saga_right select g, %d from generate_series(0, %d) g",
        BALANCE, ACCOUNTS - 1);
}

const char *
sagas_history(void)
{
    return kept->sagas->forgetful ? "2s" : "7d";
}

/* Can any step have failed in this run, as often as is tried? */
static bool
troubled(void)
{
    return kept->faulty || kept->damaged;
}

static struct work *
work_at(int64_t id)
{
    if (id < 0 || id >= kept->sagas->count) {
        sim_fail("there is a saga %lld, which nobody has started", (long long)id);
    }
    return &kept->sagas->works[id];
}

/* What is said of a saga: its number, its state and why. `before`: how it was known to have ended
 * when that was asked, at `asked`, for others may learn more until the answer comes. */
static void
learn(struct work *work, enum ending before, int64_t asked, int64_t number, const char *state,
    const char *cause)
{
    long long id = work - kept->sagas->works;
    for (uint32_t i = 0; i < kept->sagas->count; i++) {
        const struct work *other = &kept->sagas->works[i];
        if (other != work && other->number == number && other->fate == FATE_THERE && !kept->lied) {
            sim_fail("sagas %lld and %u have both number %lld", id, i, (long long)number);
        }
    }
    if (work->gone) {
        sim_fail("saga %lld was forgotten and is there", id);
    }
    if (work->fate == FATE_THERE && work->number != number && !kept->lied) {
        sim_fail("saga %lld had number %lld, and now it is %lld", id, (long long)work->number,
            (long long)number);
    }
    enum ending ending = strcmp(state, "completed") == 0     ? COMPLETED
                         : strcmp(state, "compensated") == 0 ? COMPENSATED
                                                             : NOT_ENDED;
    bool other_end = work->ending != NOT_ENDED && ending != NOT_ENDED && work->ending != ending;
    if ((other_end || (before != NOT_ENDED && ending == NOT_ENDED)) && !kept->lied) {
        sim_fail("saga %lld had ended, and is %s", id, state);
    }
    if (strcmp(state, "stuck") == 0 && !troubled()) {
        sim_fail("saga %lld is stuck: %s", id, cause == NULL ? "" : cause);
    }
    if (strcmp(state, "paused") == 0 && !work->touched) {
        sim_fail("saga %lld is paused, and nobody has done it", id);
    }
    int spoiled_step = work->spoiled % SPOILED_SLOW - (work->spoiled % SPOILED_SLOW > 0);
    if (ending == COMPLETED && work->spoiled != SPOILED_NOT && work->skips[spoiled_step] == 0) {
        sim_fail("saga %lld is completed, and one of its steps must fail", id);
    }
    bool too_late = work->hurried && cause != NULL && strncmp(cause, "57014", 5) == 0;
    kept->sagas->late += too_late;
    if (too_late && sim_now_us() < work->sent + HURRY_US) {
        sim_fail("saga %lld was taken back before its time was over", id);
    }
    if (ending == COMPENSATED && !troubled() && !work->touched && !too_late) {
        static const char *const codes[] = {"23514", "TS005", "TS005", "22012", "57014"};
        if (cause == NULL || (strncmp(cause, codes[work->spoiled], 5) != 0 &&
                                 strncmp(cause, codes[SPOILED_NOT], 5) != 0)) {
            sim_fail("saga %lld was taken back for: %s", id, cause == NULL ? "nothing" : cause);
        }
    }
    work->open = ending == NOT_ENDED && asked > work->open ? asked : work->open;
    work->number = number;
    work->ending = ending == NOT_ENDED ? work->ending : (uint8_t)ending;
}

/* ---- verifying ------------------------------------------------------------------------------- */

/* All instances; nobody starts one meanwhile, though they go on. */
static bool
look_at_list(struct client *client)
{
    struct sagas *sagas = kept->sagas;
    int64_t asked = sim_now_us();
    if (!sim_must(client,
            "select substr(split_part(parameters, ',', 1), 9), saga, state, cause, key from "
            "tusk_sagas order by saga")) {
        return false;
    }
    for (uint32_t i = 0; i < sagas->count; i++) {
        struct work *work = &sagas->works[i];
        work->listed = false;
        if (kept->lied) { /* an older state may be there, and nobody could have told */
            work->number = 0;
            work->ending = NOT_ENDED;
            work->fate = FATE_UNKNOWN;
        }
    }
    for (uint32_t i = 0; i < client->rows; i++) {
        int64_t id = client_int(client, i, 0);
        struct work *work = work_at(id);
        char key[32];
        (void)snprintf(key, sizeof key, "move %lld", (long long)id);
        const char *there = client_value(client, i, 4);
        if (work->listed) {
            sim_fail("saga %lld is there twice", (long long)id);
        }
        if (work->keyed ? there == NULL || strcmp(there, key) != 0 : there != NULL) {
            sim_fail("saga %lld has the key %s", (long long)id, there == NULL ? "NULL" : there);
        }
        if (!work->gone &&
            (work->fate == FATE_FAILED || work->fate == FATE_OPEN || work->fate == FATE_NONE)) {
            sim_fail("saga %lld was not started and is there", (long long)id);
        }
        kept->unknown += work->fate == FATE_UNKNOWN;
        learn(work, work->ending, asked, client_int(client, i, 1), client_value(client, i, 2),
            client_value(client, i, 3));
        work->fate = FATE_THERE;
        work->listed = true;
    }
    for (uint32_t i = 0; i < sagas->count; i++) {
        struct work *work = &sagas->works[i];
        if (work->gone) {
            continue;
        }
        bool may_be_gone = sagas->forgetful && sim_now_us() >= work->open + HISTORY_US;
        if (!work->listed && may_be_gone &&
            (work->fate == FATE_THERE || work->fate == FATE_UNKNOWN)) {
            work->gone = true;
            continue;
        }
        if (!work->listed && work->fate == FATE_THERE) {
            sim_fail(
                "saga %u (number %lld) was acknowledged and is lost", i, (long long)work->number);
        }
        if (!work->listed) {
            kept->unknown += work->fate == FATE_UNKNOWN;
            work->fate = FATE_FAILED;
        }
    }
    return true;
}

/* Accounts and ledger, in one snapshot. */
static const char books[] =
    "select t, id, balance, (select coalesce(sum(case effect when 1 then -amount when 2 then "
    "amount "
    "when -2 then -amount else 0 end), 0) from saga_ledger where account = id and "
    "case t when 'l' then effect = 1 else effect in (2, -2) end), (select count(*) from "
    "saga_ledger where n > 0) from (select 'l' as t, * from saga_left union all "
    "select 'r', * from saga_right) a order by 1, 2";

static void
check_books(const struct client *client)
{
    if (client->rows != 2 * ACCOUNTS) {
        sim_fail("%u saga accounts instead of %d", client->rows, 2 * ACCOUNTS);
    }
    for (uint32_t i = 0; i < client->rows; i++) {
        if (client_int(client, i, 4) != 0) {
            sim_fail("%s saw that %lld effects of steps are there twice", client->name,
                (long long)client_int(client, i, 4));
        }
        int64_t wanted = BALANCE + client_int(client, i, 3);
        if (client_int(client, i, 2) != wanted) {
            sim_fail("%s saw %lld in account %u of the sagas, and %lld by the ledger", client->name,
                (long long)client_int(client, i, 2), i, (long long)wanted);
        }
    }
}

bool
sagas_verify(struct client *client)
{
    struct sagas *sagas = kept->sagas;
    if (sagas->count == 0) {
        return true;
    }
    for (uint32_t i = 0; i < sagas->count; i++) {
        if (sagas->works[i].fate == FATE_OPEN) {
            sagas->works[i].fate = FATE_FAILED;
        }
    }
    if (!look_at_list(client) || !sim_must(client, "%s", books)) {
        return false;
    }
    check_books(client);
    return true;
}

/* Those that rest are let go on. *left: how many have not ended. */
static bool
push(struct client *client, uint32_t *left)
{
    if (!sim_must(client, "select saga, state, error, split_part(parameters, ',', 1) from "
                          "tusk_sagas where state not in ('completed', 'compensated')")) {
        return false;
    }
    *left = client->rows;
    int64_t resting = 0;
    for (uint32_t i = 0; i < client->rows; i++) {
        const char *state = client_value(client, i, 1);
        if (strcmp(state, "stuck") == 0 && !troubled()) {
            sim_fail("saga %s is stuck: %s", client_value(client, i, 3),
                client_value(client, i, 2) == NULL ? "" : client_value(client, i, 2));
        }
        if (strcmp(state, "stuck") == 0 || strcmp(state, "paused") == 0) {
            resting = client_int(client, i, 0);
        }
    }
    return resting == 0 || sim_must(client, "alter saga instance %lld retry", (long long)resting);
}

/* Its effects are all there, or none is, or those that were taken back. */
static void
judge(uint32_t id, const int64_t effects[EFFECTS], bool ungiven)
{
    const struct work *work = &kept->sagas->works[id];
    bool there = work->fate == FATE_THERE;
    bool completed = there && work->ending == COMPLETED;
    bool compensated = there && work->ending == COMPENSATED;
    bool skipped[sizeof step_names / sizeof *step_names];
    for (size_t i = 0; i < sizeof step_names / sizeof *step_names; i++) {
        skipped[i] = work->skips[i] > 0;
    }
    bool given_back = (effects[GIVEN] != 0) == ungiven || skipped[1];
    bool all = (effects[TAKEN] || skipped[0]) && (effects[GIVEN] || skipped[1]) && !ungiven &&
               (effects[BOOKED] || skipped[2]) && (effects[NOTED] || skipped[3]);
    bool back =
        (!effects[TAKEN] || skipped[0]) && given_back && !effects[BOOKED] && !effects[NOTED];
    bool none =
        !effects[TAKEN] && !effects[GIVEN] && !effects[BOOKED] && !effects[NOTED] && !ungiven;
    bool right = work->gone && !completed && !compensated ? all || back || none
                 : completed                              ? all
                 : compensated                            ? back
                                                          : none;
    if (!right) {
        sim_fail("saga %u %s, and its effects are:%s%s%s%s%s", id,
            completed     ? "is completed"
            : compensated ? "is compensated"
                          : "was not started",
            effects[TAKEN] ? " take" : "", effects[GIVEN] ? " give" : "",
            ungiven ? " give's undo" : "", effects[BOOKED] ? " book" : "",
            effects[NOTED] ? " note" : "");
    }
}

/* What has ended is forgotten, with its records and keys. */
static bool
verify_forgotten(struct client *client)
{
    if (!kept->sagas->forgetful || troubled()) {
        return true;
    }
    task_sleep(client->task, FORGOTTEN_US);
    if (!sim_must(client, "select (select count(*) from tusk_sagas), "
                          "(select count(*) from tusk_saga_steps)")) {
        return false;
    }
    if (client_int(client, 0, 0) != 0 || client_int(client, 0, 1) != 0) {
        sim_fail("%lld sagas that ended long ago are not forgotten",
            (long long)client_int(client, 0, 0));
    }
    return true;
}

bool
sagas_settle(struct client *client)
{
    struct sagas *sagas = kept->sagas;
    if (sagas->count == 0) {
        return true;
    }
    uint32_t left = 1;
    for (int i = 0; left > 0; i++) {
        if (i == SETTLE_TRIES) {
            sim_fail("%u sagas do not end", left);
        }
        if (!push(client, &left)) {
            return false;
        }
        if (left > 0) {
            task_sleep(client->task, SETTLE_PAUSE_US);
        }
    }
    if (!sagas->forgetful && kept_one_in(2)) { /* it will have been looked for old ones */
        task_sleep(client->task, FORGOTTEN_US);
    }
    if (!sagas_verify(client) ||
        !sim_must(client, "select saga, effect, account, amount from saga_ledger order by 1, 2")) {
        return false;
    }
    uint32_t gone = 0, skipped = 0;
    for (uint32_t id = 0; id < sagas->count; id++) {
        const struct work *work = &sagas->works[id];
        gone += work->gone;
        skipped += work->skips[0] + work->skips[1] + work->skips[2] + work->skips[3] > 0;
    }
    sim_tell("%u sagas, %u forgotten, %u with steps skipped, %u late", sagas->count, gone, skipped,
        sagas->late);
    uint32_t at = 0;
    int64_t sum = (int64_t)2 * ACCOUNTS * BALANCE;
    for (uint32_t id = 0; id < sagas->count; id++) {
        int64_t effects[EFFECTS] = {0};
        bool ungiven = false;
        const struct work *work = &sagas->works[id];
        for (; at < client->rows && client_int(client, at, 0) == (int64_t)id; at++) {
            int64_t effect = client_int(client, at, 1);
            if (client_int(client, at, 2) != (effect == TAKEN ? work->from : work->to) ||
                client_int(client, at, 3) != work->amount) {
                sim_fail("effect %lld of saga %u is not what was asked for", (long long)effect, id);
            }
            if (effect == UNGIVEN) {
                ungiven = true;
            } else {
                effects[effect]++;
            }
        }
        judge(id, effects, ungiven);
        sum += work->amount * ((effects[GIVEN] != 0) - ungiven - (effects[TAKEN] != 0));
    }
    if (at < client->rows) {
        sim_fail("the ledger has a saga that nobody has started");
    }
    if (!sim_must(client, "select (select sum(balance) from saga_left) + "
                          "(select sum(balance) from saga_right)")) {
        return false;
    }
    if (client_int(client, 0, 0) !=
        sum) { /* not that of the beginning only if steps were skipped */
        sim_fail("all sagas have ended, and the sum is %s", client_value(client, 0, 0));
    }
    return verify_forgotten(client);
}

/* ---- working --------------------------------------------------------------------------------- */

/* A key is asked for by several at a time: what one of them does not know, another may. */
static void
set_fate(struct work *work, enum fate fate)
{
    if (work->fate != FATE_THERE) {
        work->fate = (uint8_t)(work->keyed && fate == FATE_FAILED ? FATE_UNKNOWN : fate);
    }
}

static bool
give_up(struct client *client, struct work *work, bool may_be)
{
    set_fate(work, may_be ? FATE_UNKNOWN : FATE_FAILED);
    if (client->answer == ANSWER_LOST) {
        return false;
    }
    sim_check_error(client, "a saga");
    return client->status == 'I' || sim_must(client, "rollback");
}

static enum answer
ask(struct client *client, uint32_t id, const struct work *work, int amount, bool wait)
{
    char key[40] = "";
    if (work->keyed) {
        (void)snprintf(key, sizeof key, " with key 'move %u'", id);
    }
    return client_query(client, "start saga %s (%u, %d, %d, %d, %d)%s%s",
        work->hurried ? "sim_hurry" : "sim_move", id, work->from, work->to, amount, work->spoiled,
        key, wait ? " wait" : "");
}

static bool
start_in_block(struct client *client, uint32_t id, struct work *work)
{
    set_fate(work, FATE_OPEN);
    if (work->keyed) { /* and others are at it, perhaps */
        set_fate(work, FATE_UNKNOWN);
    }
    if (client_query_text(client, "begin") != ANSWER_DONE ||
        ask(client, id, work, work->amount, false) != ANSWER_DONE) {
        return give_up(client, work, false);
    }
    int64_t number = client_int(client, 0, 0);
    if (kept_one_in(4)) {
        set_fate(work, FATE_FAILED);
        return sim_must(client, "rollback");
    }
    set_fate(work, FATE_UNKNOWN);
    if (client_query_text(client, "commit") != ANSWER_DONE) {
        return give_up(client, work, client->answer == ANSWER_LOST);
    }
    if (strcmp(client->tag, "COMMIT") != 0) {
        sim_fail("COMMIT was answered with %s", client->tag);
    }
    learn(work, NOT_ENDED, work->open, number, "running", NULL);
    set_fate(work, FATE_THERE);
    return true;
}

static bool
act(struct client *client, const struct work *work, const char *action)
{
    if (client_query(client, "alter saga instance %lld %s", (long long)work->number, action) ==
            ANSWER_ERROR &&
        !client_is_error(client, "55000") &&
        !(kept->sagas->forgetful && client_is_error(client, "42704"))) {
        sim_check_error(client, "ALTER SAGA INSTANCE");
    }
    return client->answer != ANSWER_LOST;
}

static bool
alter(struct client *client, struct work *work)
{
    static const char *const actions[] = {"pause", "resume", "compensate", "retry"};
    work->touched = true;
    if (!kept_one_in(3)) {
        return act(client, work, actions[kept_draw(4)]);
    }
    char skip[32];
    uint32_t step = (uint32_t)kept_draw(sizeof step_names / sizeof *step_names);
    (void)snprintf(skip, sizeof skip, "skip step %s", step_names[step]);
    if (!act(client, work, "pause")) {
        return false;
    }
    work->skips[step]++;
    bool on = act(client, work, skip);
    if (client->answer == ANSWER_ERROR) {
        work->skips[step]--;
    }
    return on;
}

static bool
start(struct client *client, uint32_t id, struct work *work)
{
    if (kept_one_in(4)) {
        return start_in_block(client, id, work);
    }
    bool wait = kept_one_in(2);
    enum ending before = work->ending;
    int64_t asked = sim_now_us();
    set_fate(work, FATE_UNKNOWN);
    if (ask(client, id, work, work->amount, wait) != ANSWER_DONE) {
        return give_up(client, work, wait || client->answer == ANSWER_LOST);
    }
    const char *state = client_value(client, 0, 1);
    if (wait && (strcmp(state, "running") == 0 || strcmp(state, "compensating") == 0)) {
        sim_fail("saga %u was waited for and is %s", id, state);
    }
    learn(work, before, asked, client_int(client, 0, 0), state, client_value(client, 0, 2));
    set_fate(work, FATE_THERE);
    kept->commits++;
    sim_tempt(client, 8);
    return wait || !kept_one_in(3) || alter(client, work);
}

/* The key of another request. */
static bool
misuse(struct client *client, uint32_t id, struct work *work)
{
    if (ask(client, id, work, work->amount + 1, false) == ANSWER_LOST) {
        return false;
    }
    if (client->answer == ANSWER_DONE) {
        sim_fail("saga %u's key was taken for other parameters", id);
    }
    if (!client_is_error(client, "TS002")) {
        sim_check_error(client, "a saga's key with other parameters");
    }
    return true;
}

/* Something with one that somebody has begun. */
static bool
again(struct client *client)
{
    struct sagas *sagas = kept->sagas;
    uint32_t back = (uint32_t)kept_draw(sagas->count < 20 ? sagas->count : 20);
    uint32_t id = sagas->count - 1 - back;
    struct work *work = &sagas->works[id];
    bool old = sagas->forgetful && sim_now_us() >= work->sent + HISTORY_US - HISTORY_MARGIN_US;
    if (work->fate == FATE_THERE && !work->gone && kept_one_in(4)) {
        return alter(client, work);
    }
    if (!work->keyed || old || work->gone) { /* its key may be another saga's soon */
        return true;
    }
    return work->fate == FATE_THERE && kept_one_in(4) ? misuse(client, id, work)
                                                      : start(client, id, work);
}

static bool
read_books(struct client *client)
{
    if (client_query_text(client, books) != ANSWER_DONE) {
        return client->answer == ANSWER_LOST
                   ? false
                   : (sim_check_error(client, "the sagas' accounts"), true);
    }
    check_books(client);
    return true;
}

bool
sagas_step(struct client *client)
{
    struct sagas *sagas = kept->sagas;
    if (sagas->forgetful && kept_one_in(30)) {
        task_sleep(client->task, (int64_t)kept_draw(2 * (uint64_t)HISTORY_US));
    }
    if (kept_one_in(5)) {
        return read_books(client);
    }
    if (sagas->count > 0 && (kept_one_in(3) || sagas->count == WORKS_MAX)) {
        return again(client);
    }
    uint32_t id = sagas->count++;
    struct work *work = &sagas->works[id];
    work->hurried = kept_one_in(5);
    work->spoiled = (uint8_t)(kept_one_in(3) ? 1 + kept_draw(work->hurried ? 4 : 3) : SPOILED_NOT);
    work->sent = work->open = sim_now_us();
    work->from = work->spoiled == SPOILED_TAKE ? NOWHERE : (uint8_t)kept_draw(ACCOUNTS);
    work->to = work->spoiled == SPOILED_GIVE ? NOWHERE : (uint8_t)kept_draw(ACCOUNTS);
    work->amount = (int16_t)(1 + kept_draw(100));
    work->keyed = !kept_one_in(3);
    return start(client, id, work);
}
