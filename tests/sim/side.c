/*
 * tests/sim/side.c - a second database that comes and goes.
 *
 * Promised: one that was acknowledged is there with what was acknowledged in it, and one whose end
 * was acknowledged is not; its table, which is called as one of the first database's, is its own.
 */
#include "tests/sim/sim.h"

enum state {
    SIDE_GONE,
    SIDE_THERE,
    SIDE_UNKNOWN, /* something was sent whose outcome has not been seen */
};

struct side {
    enum state state;
    int64_t rows; /* acknowledged */
};

void
side_create(void)
{
    kept->side = kept_alloc(sizeof *kept->side);
}

static bool
trusted(void)
{
    return !kept->lied && !kept->damaged;
}

/* An answer to CREATE or DROP. `code`: what is said if it was so already. */
static bool
take_state(struct client *client, enum answer answer, enum state before, enum state wanted,
    const char *code)
{
    struct side *side = kept->side;
    if (answer == ANSWER_LOST) {
        return false;
    }
    if (answer == ANSWER_DONE) {
        if (before == wanted && trusted()) {
            sim_fail("the side database was made or dropped twice");
        }
        *side = (struct side){.state = wanted};
        sim_tell("side database: %s", client->tag);
        sim_tempt(client, 4);
        return true;
    }
    if (client_is_error(client, code)) {
        if (before != wanted && before != SIDE_UNKNOWN && trusted()) {
            sim_fail("the side database: %s, and that was not acknowledged", client->message);
        }
        side->state = wanted;
        return true;
    }
    sim_check_error(client, "the side database");
    return true;
}

static bool
use(struct client *client)
{
    struct side *side = kept->side;
    if (client_query_text(client, "create table if not exists accounts (a int primary key)") !=
            ANSWER_DONE ||
        client_query_text(client,
            "insert into accounts select coalesce(max(a), 0) + 1 from accounts") != ANSWER_DONE) {
        if (client->answer == ANSWER_ERROR) {
            sim_check_error(client, "in the side database");
        }
        return true;
    }
    side->rows++;
    sim_tempt(client, 8);
    if (!sim_must(client, "select count(*), max(a), current_database() from accounts")) {
        return true;
    }
    int64_t count = client_int(client, 0, 0);
    if (trusted() && (count < side->rows || client_int(client, 0, 1) != count ||
                         strcmp(client_value(client, 0, 2), "side") != 0)) {
        sim_fail("the side database has %lld rows and should have %lld", (long long)count,
            (long long)side->rows);
    }
    side->rows = count;
    sim_tell("side database: %lld rows", (long long)count);
    return true;
}

static bool
visit(struct client *own)
{
    struct side *side = kept->side;
    struct client *client = mem_zalloc(sizeof *client);
    client_create(client, own->task, "side");
    client->database = "side";
    bool good = true;
    if (client_connect(client, 0)) {
        good = use(client);
    } else if (strcmp(client->sqlstate, "3D000") == 0) {
        if (side->state == SIDE_THERE && trusted()) {
            sim_fail("the side database was acknowledged and is lost");
        }
        side->state = SIDE_GONE;
    }
    client_destroy(client);
    mem_free(client);
    return good;
}

bool
side_step(struct client *client)
{
    struct side *side = kept->side;
    enum state before = side->state;
    if (before == SIDE_THERE && !kept_one_in(3)) {
        return visit(client);
    }
    bool make = before == SIDE_GONE || (before == SIDE_UNKNOWN && kept_one_in(2));
    side->state = SIDE_UNKNOWN;
    enum answer answer = client_query_text(
        client, make ? "create database side" : "drop database side with (force)");
    return take_state(
        client, answer, before, make ? SIDE_THERE : SIDE_GONE, make ? "42P04" : "3D000");
}
