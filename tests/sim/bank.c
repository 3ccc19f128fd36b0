/*
 * tests/sim/bank.c - transfers between accounts, each with a row of history.
 *
 * Promised: the sum never changes for anybody; an acknowledged transfer is there after every crash,
 * wholly; one whose outcome is unknown is there wholly or not at all; one that was told to have
 * failed is not there; what a client has been shown is there after every crash. One with an
 * idempotency key may be repeated, at any time, by anybody: then it is there, once, and each time
 * the answer is the same.
 */
#include "tests/sim/sim.h"

enum {
    ACCOUNTS = 8,
    BALANCE = 1000,
    TRANSFERS_MAX = 20000,
};

enum state {
    STATE_NONE,
    STATE_OPEN,    /* no COMMIT was sent: if the connection is lost, it failed */
    STATE_UNKNOWN, /* COMMIT was sent */
    STATE_FAILED,
    STATE_DONE,
};

struct transfer {
    uint8_t state, from, to;
    bool seen, keyed;
    bool busy; /* somebody is at it */
    bool told; /* with this answer */
    int16_t amount;
    int32_t answer;
};

struct bank {
    uint32_t count;
    struct transfer transfers[TRANSFERS_MAX];
};

void
bank_create(void)
{
    kept->bank = kept_alloc(sizeof *kept->bank);
}

void
bank_set_up(struct client *client)
{
    (void)client_query(client, "create table accounts (id int primary key, balance int not null)");
    (void)client_query(client,
        "create table history (id int primary key, source int, target int, amount int, note text)");
    (void)client_query(client, "create index history_source on history (source)");
    (void)client_query(client, "insert into accounts select g, %d from generate_series(0, %d) g",
        BALANCE, ACCOUNTS - 1);
}

/* ---- verifying ------------------------------------------------------------------------------- */

static struct transfer *
transfer_at(int64_t id)
{
    if (id < 0 || id >= kept->bank->count) {
        sim_fail("history has %lld, which nobody has written", (long long)id);
    }
    return &kept->bank->transfers[id];
}

static void
judge(int64_t id, bool there)
{
    struct transfer *transfer = transfer_at(id);
    bool lost = kept->lied && !there; /* the disk's fault, and nobody could have told */
    switch ((enum state)transfer->state) {
    case STATE_DONE:
        if (!there && !lost) {
            sim_fail("transfer %lld was acknowledged and is lost", (long long)id);
        }
        break;
    case STATE_FAILED:
        if (there) {
            sim_fail("transfer %lld failed and is there", (long long)id);
        }
        break;
    default:
        if (!there && transfer->seen && !lost) {
            sim_fail("transfer %lld was shown to a client and is lost", (long long)id);
        }
        kept->unknown++;
    }
    transfer->state = there ? STATE_DONE : STATE_FAILED;
}

/* Nobody else is connected. */
bool
bank_verify(struct client *client)
{
    struct bank *bank = kept->bank;
    for (uint32_t i = 0; i < bank->count; i++) {
        if (bank->transfers[i].state == STATE_OPEN) {
            bank->transfers[i].state = STATE_FAILED;
        }
        bank->transfers[i].busy = false;
    }
    if (!sim_must(client, "select id, source, target, amount from history order by id")) {
        return false;
    }
    int64_t balances[ACCOUNTS];
    for (int i = 0; i < ACCOUNTS; i++) {
        balances[i] = BALANCE;
    }
    uint32_t next = 0;
    for (uint32_t i = 0; i < client->rows; i++) {
        int64_t id = client_int(client, i, 0);
        const struct transfer *transfer = transfer_at(id);
        if (id < next || client_int(client, i, 1) != transfer->from ||
            client_int(client, i, 2) != transfer->to ||
            client_int(client, i, 3) != transfer->amount) {
            sim_fail("history's row %lld is not what was written", (long long)id);
        }
        for (; next < id; next++) {
            judge(next, false);
        }
        judge(next++, true);
        balances[transfer->from] -= transfer->amount;
        balances[transfer->to] += transfer->amount;
    }
    for (; next < bank->count; next++) {
        judge(next, false);
    }
    if (!sim_must(client, "select id, balance from accounts order by id")) {
        return false;
    }
    if (client->rows != ACCOUNTS) {
        sim_fail("%u accounts instead of %d", client->rows, ACCOUNTS);
    }
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        if (client_int(client, i, 0) != (int64_t)i || client_int(client, i, 1) != balances[i]) {
            sim_fail("account %u has %lld, and %lld by its history", i,
                (long long)client_int(client, i, 1), (long long)balances[i]);
        }
    }
    /* The same by the index. */
    for (int source = 0; source < ACCOUNTS; source++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < bank->count; i++) {
            count += bank->transfers[i].state == STATE_DONE && bank->transfers[i].from == source;
        }
        if (!sim_must(client, "select count(*) from history where source = %d", source)) {
            return false;
        }
        if (client_int(client, 0, 0) != count) {
            sim_fail("index history_source has %lld rows of %d instead of %u",
                (long long)client_int(client, 0, 0), source, count);
        }
    }
    return true;
}

/* ---- working --------------------------------------------------------------------------------- */

/* The transaction is over, badly. */
static bool
give_up(struct client *client, struct transfer *transfer, const char *doing)
{
    if (client->answer == ANSWER_LOST) {
        if (transfer->state == STATE_OPEN) {
            transfer->state = STATE_FAILED;
        }
        return false;
    }
    sim_check_error(client, doing);
    transfer->state = STATE_FAILED;
    if (client->status != 'I') {
        return sim_must(client, "rollback");
    }
    return true;
}

static bool
transfer_at_once(struct client *client, uint32_t id, struct transfer *transfer, const char *note)
{
    transfer->state = STATE_UNKNOWN;
    enum answer answer = client_query(client,
        "begin; update accounts set balance = balance - %d where id = %d;"
        "update accounts set balance = balance + %d where id = %d;"
        "insert into history values (%u, %d, %d, %d, '%s'); commit",
        transfer->amount, transfer->from, transfer->amount, transfer->to, id, transfer->from,
        transfer->to, transfer->amount, note);
    if (answer != ANSWER_DONE) {
        return give_up(client, transfer, "a transfer");
    }
    transfer->state = STATE_DONE;
    kept->commits++;
    sim_tempt(client, 16);
    return true;
}

/* Something to undo. */
static enum answer
stray(struct client *client)
{
    if (client_query(client, "savepoint s") != ANSWER_DONE ||
        client_query(client, "update accounts set balance = 0 where id = %d",
            (int)kept_draw(ACCOUNTS)) != ANSWER_DONE) {
        return client->answer;
    }
    return client_query(client, kept_one_in(2) ? "rollback to s" : "rollback to savepoint s");
}

static bool
transfer_by_steps(struct client *client, uint32_t id, struct transfer *transfer, const char *note)
{
    static const char *const begins[] = {
        "begin", "begin isolation level repeatable read", "begin isolation level serializable"};
    transfer->state = STATE_OPEN;
    if (client_query(client, "%s", begins[kept_draw(3)]) != ANSWER_DONE ||
        (kept_one_in(4) && stray(client) != ANSWER_DONE) ||
        client_query(client, "update accounts set balance = balance - %d where id = %d",
            transfer->amount, transfer->from) != ANSWER_DONE ||
        client_query(client, "update accounts set balance = balance + %d where id = %d",
            transfer->amount, transfer->to) != ANSWER_DONE ||
        client_query(client, "insert into history values (%u, %d, %d, %d, '%s')", id,
            transfer->from, transfer->to, transfer->amount, note) != ANSWER_DONE ||
        (kept_one_in(8) && stray(client) != ANSWER_DONE)) {
        return give_up(client, transfer, "a transfer");
    }
    if (kept_one_in(10)) {
        transfer->state = STATE_FAILED;
        return sim_must(client, "rollback");
    }
    transfer->state = STATE_UNKNOWN;
    if (client_query(client, "commit") != ANSWER_DONE) {
        return give_up(client, transfer, "a transfer's commit");
    }
    if (strcmp(client->tag, "COMMIT") != 0) {
        sim_fail("COMMIT was answered with %s", client->tag);
    }
    transfer->state = STATE_DONE;
    kept->commits++;
    sim_tempt(client, 16);
    return true;
}

/* With its key, for the first time or again. */
static bool
transfer_keyed(struct client *client, uint32_t id, struct transfer *transfer)
{
    uint8_t before = transfer->state;
    transfer->busy = true;
    transfer->state = before == STATE_DONE ? STATE_DONE : STATE_UNKNOWN;
    if (client_query(client, "begin") != ANSWER_DONE ||
        client_query(client, "set local tusk.idempotency_key = 'transfer %u'", id) != ANSWER_DONE ||
        client_query(client, "update accounts set balance = balance - %d where id = %d",
            transfer->amount, transfer->from) != ANSWER_DONE ||
        client_query(client,
            "update accounts set balance = balance + %d where id = %d returning balance",
            transfer->amount, transfer->to) != ANSWER_DONE) {
        goto failed;
    }
    int32_t answer = (int32_t)client_int(client, 0, 0);
    if (client_query(client, "insert into history values (%u, %d, %d, %d, 'k')", id, transfer->from,
            transfer->to, transfer->amount) != ANSWER_DONE ||
        client_query(client, "commit") != ANSWER_DONE) {
        goto failed;
    }
    if (strcmp(client->tag, "COMMIT") != 0) {
        sim_fail("COMMIT was answered with %s", client->tag);
    }
    if (before == STATE_DONE && transfer->told && transfer->answer != answer && !kept->lied) {
        sim_fail(
            "transfer %u was answered with %d, and again with %d", id, transfer->answer, answer);
    }
    transfer->busy = false;
    transfer->state = STATE_DONE;
    transfer->told = true;
    transfer->answer = answer;
    kept->commits++;
    return true;
failed:
    if (client->answer == ANSWER_LOST) {
        return false; /* busy until the next life: it may still be going on */
    }
    transfer->busy = false;
    sim_check_error(client, "a transfer with a key");
    transfer->state = before == STATE_NONE || before == STATE_UNKNOWN ? STATE_FAILED : before;
    return client->status == 'I' || sim_must(client, "rollback");
}

/* One of the last with a key, if it is nobody's at the moment. */
static bool
repeat(struct client *client)
{
    struct bank *bank = kept->bank;
    for (uint32_t i = 0; i < 20 && i < bank->count; i++) {
        uint32_t id = bank->count - 1 - (uint32_t)kept_draw(bank->count < 60 ? bank->count : 60);
        struct transfer *transfer = &bank->transfers[id];
        if (transfer->keyed && !transfer->busy) {
            return transfer_keyed(client, id, transfer);
        }
    }
    return true;
}

static bool bank_read(struct client *client);

bool
bank_step(struct client *client)
{
    struct bank *bank = kept->bank;
    /* While the disk is slow, what is committed is long not durable: the time to look. */
    if (kept_one_in(life.world.disk_us_max > 1000 ? 2 : 5)) {
        return bank_read(client);
    }
    if (bank->count == TRANSFERS_MAX) {
        return true;
    }
    if (kept_one_in(8)) {
        return repeat(client);
    }
    uint32_t id = bank->count++;
    struct transfer *transfer = &bank->transfers[id];
    transfer->from = (uint8_t)kept_draw(ACCOUNTS);
    transfer->to = (uint8_t)((transfer->from + 1 + kept_draw(ACCOUNTS - 1)) % ACCOUNTS);
    transfer->amount = (int16_t)kept_draw(100);
    if (kept_one_in(5)) {
        transfer->keyed = true;
        return transfer_keyed(client, id, transfer);
    }
    char note[1024];
    size_t size = (size_t)kept_draw(life.fat > 0 && kept_one_in(4) ? sizeof note : 16);
    memset(note, 'a' + (int)(id % 26), size);
    note[size < sizeof note ? size : size - 1] = '\0';
    return kept_one_in(3) ? transfer_at_once(client, id, transfer, note)
                          : transfer_by_steps(client, id, transfer, note);
}

bool
bank_look(struct client *client)
{
    client->shown_count = 0;
    if (client_query(client, "select sum(balance) from accounts") != ANSWER_DONE) {
        return client->answer == ANSWER_LOST ? false
                                             : (sim_check_error(client, "a sum of balances"), true);
    }
    if (client_int(client, 0, 0) != (int64_t)ACCOUNTS * BALANCE) {
        sim_fail("%s saw a sum of %s", client->name, client_value(client, 0, 0));
    }
    if (client_query(client, "select id from history order by id desc limit 6") != ANSWER_DONE) {
        return client->answer == ANSWER_LOST ? false
                                             : (sim_check_error(client, "the history"), true);
    }
    for (uint32_t i = 0; i < client->rows && i < sizeof client->shown / sizeof *client->shown;
         i++) {
        int64_t id = client_int(client, i, 0);
        const struct transfer *transfer = transfer_at(id);
        if (transfer->state == STATE_FAILED || transfer->state == STATE_OPEN) {
            sim_fail("%s saw transfer %lld, which is not committed", client->name, (long long)id);
        }
        client->shown[client->shown_count++] = (uint32_t)id;
    }
    return true;
}

void
bank_shown(struct client *client)
{
    for (unsigned i = 0; i < client->shown_count; i++) {
        struct transfer *transfer = &kept->bank->transfers[client->shown[i]];
        transfer->seen = true;
        if (transfer->state == STATE_UNKNOWN) {
            sim_tempt(client, 2);
        }
    }
}

static bool
bank_read(struct client *client)
{
    if (!bank_look(client)) {
        return false;
    }
    if (client->answer == ANSWER_DONE) {
        bank_shown(client);
    }
    return true;
}
