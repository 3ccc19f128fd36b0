/*
 * tests/sim/lists.c - histories of lists and members, and whether they could have happened.
 *
 * In the manner of Elle (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from
 * Experimental Observations", 2020): values are appended to lists, so the final lists give the
 * order of the writes, and each read names the writes it saw. Members stand at places; a range of
 * places is read, gaps included. From these: ww, wr and rw edges between transactions, and from the
 * clock rt edges (ended before the other began).
 *
 * Promised: committed values are there, others are not; no cycle of ww and wr edges at any level;
 * at REPEATABLE READ none with one rw edge besides; at SERIALIZABLE none at all, rt edges included.
 * At REPEATABLE READ there must be some with more in a thousand seeds, or nobody is judged here.
 * The same over crashes: what was acknowledged before one has ended before what begins after it.
 */
#include <stdlib.h>

#include "tests/sim/sim.h"

enum {
    KEYS = 4,
    PLACES = 10,
    OPS_MAX = 4,
    TXNS_MAX = 1200,
    LIST_MAX = 600,
    WORDS = (TXNS_MAX + 63) / 64,
};

enum state {
    STATE_OPEN,
    STATE_UNKNOWN,
    STATE_FAILED,
    STATE_DONE,
};

enum kind {
    APPEND, /* value to list key */
    READ,   /* list key: values */
    PUT,    /* value at place key */
    RANGE,  /* places key..key2: values */
};

struct op {
    enum kind kind;
    int key, key2;
    uint32_t value; /* APPEND and PUT: a number of its own */
    uint32_t count;
    uint32_t *values; /* READ and RANGE, in kept memory */
};

struct txn {
    enum state state;
    int64_t start_us, end_us;
    unsigned op_count;
    struct op ops[OPS_MAX];
};

struct written {
    uint32_t txn;
    uint16_t key;
    bool put;
};

struct lists {
    uint32_t txn_count, value_count;
    struct txn txns[TXNS_MAX];
    struct written written[(size_t)TXNS_MAX * OPS_MAX];
    /* The last verification's. */
    uint32_t list_size[KEYS];
    uint32_t list[KEYS][LIST_MAX];
    uint32_t member_count;
    uint32_t members[(size_t)TXNS_MAX * OPS_MAX];
};

void
lists_create(void)
{
    kept->lists = kept_alloc(sizeof *kept->lists);
}

void
lists_set_up(struct client *client)
{
    (void)client_query(client, "create table lists (k int primary key, v text not null)");
    (void)client_query(client, "create table members (n int primary key, p int not null)");
    (void)client_query(client, "create index members_p on members (p)");
}

static struct written *
written_at(int64_t value)
{
    if (value < 0 || value >= kept->lists->value_count) {
        sim_fail("value %lld is read, which nobody has written", (long long)value);
    }
    return &kept->lists->written[value];
}

/* "3,17,20" */
static uint32_t
parse_list(const char *text, uint32_t *values, uint32_t most)
{
    uint32_t count = 0;
    while (text != NULL && *text != '\0') {
        char *end = NULL;
        unsigned long value = strtoul(text, &end, 10);
        if (end == text || (*end != ',' && *end != '\0') || count == most) {
            sim_fail("a list has \"%.40s\"", text);
        }
        (void)written_at((int64_t)value);
        values[count++] = (uint32_t)value;
        text = *end == ',' ? end + 1 : end;
    }
    return count;
}

/* ---- verifying ------------------------------------------------------------------------------- */

static bool
is_there(const struct lists *lists, const struct op *op)
{
    if (op->kind == PUT) {
        for (uint32_t i = 0; i < lists->member_count; i++) {
            if (lists->members[i] == op->value) {
                return true;
            }
        }
        return false;
    }
    for (uint32_t i = 0; i < lists->list_size[op->key]; i++) {
        if (lists->list[op->key][i] == op->value) {
            return true;
        }
    }
    return false;
}

static void
settle(struct lists *lists, uint32_t number)
{
    struct txn *txn = &lists->txns[number];
    unsigned wrote = 0;
    unsigned there = 0;
    for (unsigned i = 0; i < txn->op_count; i++) {
        const struct op *op = &txn->ops[i];
        if (op->kind == APPEND || op->kind == PUT) {
            wrote++;
            there += is_there(lists, op);
        }
    }
    if (txn->state == STATE_OPEN) {
        txn->state = STATE_FAILED;
    }
    if (txn->state == STATE_UNKNOWN) {
        /* What only read has committed if you like: it says the same either way. */
        txn->state = there > 0 ? STATE_DONE : STATE_FAILED;
        kept->unknown++;
    }
    if (txn->state == STATE_DONE && there != wrote && !(kept->lied && there == 0)) {
        sim_fail("of transaction %u of the lists, committed, %u of %u writes are there", number,
            there, wrote);
    }
    if (txn->state == STATE_FAILED && there > 0) {
        sim_fail("of transaction %u of the lists, which failed, %u of %u writes are there", number,
            there, wrote);
    }
}

bool
lists_verify(struct client *client)
{
    struct lists *lists = kept->lists;
    if (!sim_must(client, "select k, v from lists order by k")) {
        return false;
    }
    uint32_t before[KEYS];
    memcpy(before, lists->list_size, sizeof before);
    memset(lists->list_size, 0, sizeof lists->list_size);
    for (uint32_t i = 0; i < client->rows; i++) {
        int64_t key = client_int(client, i, 0);
        if (key < 0 || key >= KEYS) {
            sim_fail("a list %lld", (long long)key);
        }
        uint32_t values[LIST_MAX];
        uint32_t count = parse_list(client_value(client, i, 1), values, LIST_MAX);
        uint32_t same = before[key] < count ? before[key] : count;
        if (!kept->lied &&
            (same < before[key] || memcmp(values, lists->list[key], same * sizeof *values) != 0)) {
            sim_fail("list %lld does not begin as it did before the crash", (long long)key);
        }
        lists->list_size[key] = count;
        memcpy(lists->list[key], values, count * sizeof *values);
    }
    if (!sim_must(client, "select n, p from members order by n")) {
        return false;
    }
    lists->member_count = client->rows;
    for (uint32_t i = 0; i < client->rows; i++) {
        int64_t value = client_int(client, i, 0);
        if (!written_at(value)->put || written_at(value)->key != client_int(client, i, 1)) {
            sim_fail("member %lld is not what was written", (long long)value);
        }
        lists->members[i] = (uint32_t)value;
    }
    for (uint32_t i = 0; i < lists->txn_count; i++) {
        settle(lists, i);
    }
    return true;
}

/* ---- working --------------------------------------------------------------------------------- */

static bool
append(struct client *client, struct op *op)
{
    if (client_query(client, "update lists set v = v || ',%u' where k = %d", op->value, op->key) !=
        ANSWER_DONE) {
        return false;
    }
    if (strcmp(client->tag, "UPDATE 0") == 0) {
        return client_query(client, "insert into lists values (%d, '%u')", op->key, op->value) ==
               ANSWER_DONE;
    }
    return true;
}

static bool
read_list(struct client *client, struct op *op)
{
    if (client_query(client, "select v from lists where k = %d", op->key) != ANSWER_DONE) {
        return false;
    }
    uint32_t values[LIST_MAX];
    op->count = client->rows == 0 ? 0 : parse_list(client_value(client, 0, 0), values, LIST_MAX);
    op->values = kept_alloc(op->count * sizeof *values);
    memcpy(op->values, values, op->count * sizeof *values);
    return true;
}

static bool
read_range(struct client *client, struct op *op)
{
    if (client_query(client, "select n from members where p between %d and %d", op->key,
            op->key2) != ANSWER_DONE) {
        return false;
    }
    op->count = client->rows;
    op->values = kept_alloc(op->count * sizeof *op->values);
    for (uint32_t i = 0; i < op->count; i++) {
        op->values[i] = (uint32_t)client_int(client, i, 0);
    }
    return true;
}

static void
draw_op(struct lists *lists, struct op *op, uint32_t txn)
{
    *op = (struct op){.kind = (enum kind)kept_draw(4)};
    bool put = op->kind == PUT;
    op->key = (int)kept_draw(put || op->kind == RANGE ? PLACES : KEYS);
    op->key2 = op->key + (int)kept_draw(4);
    if (op->kind == APPEND || put) {
        op->value = lists->value_count++;
        lists->written[op->value] =
            (struct written){.txn = txn, .key = (uint16_t)op->key, .put = put};
    }
}

static bool
do_op(struct client *client, struct op *op)
{
    switch (op->kind) {
    case APPEND:
        return append(client, op);
    case READ:
        return read_list(client, op);
    case PUT:
        return client_query(client, "insert into members values (%u, %d)", op->value, op->key) ==
               ANSWER_DONE;
    case RANGE:
        return read_range(client, op);
    }
    return false;
}

static bool
give_up(struct client *client, struct txn *txn)
{
    if (client->answer == ANSWER_LOST) {
        txn->state = txn->state == STATE_OPEN ? STATE_FAILED : txn->state;
        return false;
    }
    if (!client_is_error(client, "23505")) { /* two may make the same list */
        sim_check_error(client, "a transaction of the lists");
    }
    txn->state = STATE_FAILED;
    return client->status == 'I' || sim_must(client, "rollback");
}

bool
lists_step(struct client *client)
{
    struct lists *lists = kept->lists;
    if (lists->txn_count == TXNS_MAX || lists->value_count >= LIST_MAX) {
        return true;
    }
    uint32_t number = lists->txn_count++;
    struct txn *txn = &lists->txns[number];
    txn->start_us = sim_now_us();
    txn->end_us = INT64_MAX;
    txn->state = STATE_OPEN;
    unsigned count = 1 + (unsigned)kept_draw(OPS_MAX);
    if (client_query(client, "begin isolation level %s", sim_isolations[life.isolation]) !=
        ANSWER_DONE) {
        return give_up(client, txn);
    }
    while (txn->op_count < count) {
        struct op *op = &txn->ops[txn->op_count];
        draw_op(lists, op, number);
        txn->op_count++;
        if (!do_op(client, op)) {
            return give_up(client, txn);
        }
    }
    if (kept_one_in(12)) {
        txn->state = STATE_FAILED;
        return sim_must(client, "rollback");
    }
    txn->state = STATE_UNKNOWN;
    if (client_query(client, "commit") != ANSWER_DONE) {
        return give_up(client, txn);
    }
    txn->state = STATE_DONE;
    txn->end_us = sim_now_us();
    kept->commits++;
    sim_tempt(client, 16);
    return true;
}

/* ---- judging --------------------------------------------------------------------------------- */

typedef uint64_t bits[WORDS];

struct graph {
    bits write_read[TXNS_MAX]; /* ww and wr, then reachability by them */
    bits anti[TXNS_MAX];       /* rw */
    bits all[TXNS_MAX];        /* with rw and rt, then reachability */
};

static bool
bit(const bits set, uint32_t i)
{
    return (set[i / 64] >> i % 64 & 1) != 0;
}

static void
bit_set(bits set, uint32_t i)
{
    set[i / 64] |= (uint64_t)1 << i % 64;
}

static void
edge(bits *from, uint32_t a, uint32_t b)
{
    if (a != b) {
        bit_set(from[a], b);
    }
}

static void
close_over(bits *reach, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        for (uint32_t i = 0; i < count; i++) {
            if (bit(reach[i], k)) {
                for (uint32_t w = 0; w < (count + 63) / 64; w++) {
                    reach[i][w] |= reach[k][w];
                }
            }
        }
    }
}

/* Whose last append to `key` is `value`? A reader saw it, so it must be the writer's last. */
static void
check_not_between(const struct lists *lists, uint32_t value, uint32_t reader)
{
    uint32_t writer = lists->written[value].txn;
    const struct txn *txn = &lists->txns[writer];
    for (unsigned i = 0; i < txn->op_count; i++) {
        const struct op *op = &txn->ops[i];
        if (op->kind == APPEND && op->key == lists->written[value].key && op->value > value) {
            sim_fail("transaction %u saw the middle of transaction %u", reader, writer);
        }
    }
}

static void
check_committed(const struct lists *lists, uint32_t reader, uint32_t value)
{
    uint32_t writer = lists->written[value].txn;
    if (writer != reader && lists->txns[writer].state != STATE_DONE) {
        sim_fail("transaction %u read value %u of transaction %u, which did not commit", reader,
            value, writer);
    }
}

static void
judge_read(const struct lists *lists, struct graph *graph, uint32_t reader, const struct op *op)
{
    const uint32_t *list = lists->list[op->key];
    uint32_t size = lists->list_size[op->key];
    uint32_t theirs = 0; /* how many of the final list were there */
    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t value = op->values[i];
        check_committed(lists, reader, value);
        if (lists->written[value].txn == reader) {
            continue;
        }
        if (theirs != i || i >= size || list[i] != value) {
            sim_fail("transaction %u read list %d in an order that it never had", reader, op->key);
        }
        theirs++;
    }
    if (theirs > 0) {
        uint32_t last = list[theirs - 1];
        check_not_between(lists, last, reader);
        edge(graph->write_read, lists->written[last].txn, reader);
    }
    if (theirs < size) {
        edge(graph->anti, reader, lists->written[list[theirs]].txn);
    }
}

static void
judge_range(const struct lists *lists, struct graph *graph, uint32_t reader, const struct op *op)
{
    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t value = op->values[i];
        const struct written *written = &lists->written[value];
        check_committed(lists, reader, value);
        if (written->key < op->key || written->key > op->key2) {
            sim_fail("transaction %u read member %u in the wrong range", reader, value);
        }
        edge(graph->write_read, written->txn, reader);
    }
    for (uint32_t m = 0; m < lists->member_count; m++) {
        uint32_t value = lists->members[m];
        const struct written *written = &lists->written[value];
        bool seen = written->key < op->key || written->key > op->key2;
        for (uint32_t i = 0; i < op->count && !seen; i++) {
            seen = op->values[i] == value;
        }
        if (!seen) {
            edge(graph->anti, reader, written->txn);
        }
    }
}

static void
tell_txn(const struct lists *lists, uint32_t number, char *text, size_t size)
{
    const struct txn *txn = &lists->txns[number];
    int at = snprintf(
        text, size, "T%u [%lld..%lld]", number, (long long)txn->start_us, (long long)txn->end_us);
    static const char *const kinds[] = {"append", "read", "put", "range"};
    for (unsigned i = 0; i < txn->op_count && at > 0 && (size_t)at < size; i++) {
        const struct op *op = &txn->ops[i];
        at += snprintf(text + at, size - (size_t)at, " %s %d", kinds[op->kind], op->key);
        if (op->kind == RANGE && (size_t)at < size) {
            at += snprintf(text + at, size - (size_t)at, "-%d", op->key2);
        }
        if ((op->kind == APPEND || op->kind == PUT) && (size_t)at < size) {
            at += snprintf(text + at, size - (size_t)at, ":%u", op->value);
        }
        for (uint32_t k = 0; k < op->count && (size_t)at < size; k++) {
            at += snprintf(text + at, size - (size_t)at, "%c%u", k == 0 ? ':' : ',', op->values[k]);
        }
    }
}

static _Noreturn void
accuse(const struct lists *lists, uint32_t a, uint32_t b, const char *what)
{
    char one[SIM_TEXT_MAX / 3];
    char two[SIM_TEXT_MAX / 3];
    tell_txn(lists, a, one, sizeof one);
    tell_txn(lists, b, two, sizeof two);
    sim_fail("%s at %s: %s and %s are on a cycle", what, sim_isolations[life.isolation], one, two);
}

static uint32_t
partner(bits *reach, uint32_t i, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        if (k != i && bit(reach[i], k) && bit(reach[k], i)) {
            return k;
        }
    }
    return i;
}

void
lists_judge(void)
{
    const struct lists *lists = kept->lists;
    uint32_t count = lists->txn_count;
    struct graph *graph = mem_zalloc(sizeof *graph);
    for (int key = 0; key < KEYS; key++) {
        for (uint32_t i = 0; i + 1 < lists->list_size[key]; i++) {
            edge(graph->write_read, lists->written[lists->list[key][i]].txn,
                lists->written[lists->list[key][i + 1]].txn);
        }
    }
    for (uint32_t t = 0; t < count; t++) {
        const struct txn *txn = &lists->txns[t];
        for (unsigned i = 0; txn->state == STATE_DONE && i < txn->op_count; i++) {
            if (txn->ops[i].kind == READ) {
                judge_read(lists, graph, t, &txn->ops[i]);
            } else if (txn->ops[i].kind == RANGE) {
                judge_range(lists, graph, t, &txn->ops[i]);
            }
        }
    }
    for (uint32_t a = 0; a < count; a++) {
        for (uint32_t w = 0; w < WORDS; w++) {
            graph->all[a][w] = graph->write_read[a][w] | graph->anti[a][w];
        }
        for (uint32_t b = 0; b < count; b++) {
            if (lists->txns[a].state == STATE_DONE && lists->txns[b].state == STATE_DONE &&
                lists->txns[a].end_us < lists->txns[b].start_us) {
                edge(graph->all, a, b);
            }
        }
    }
    close_over(graph->write_read, count);
    close_over(graph->all, count);
    for (uint32_t a = 0; a < count; a++) {
        if (bit(graph->write_read[a], a)) {
            accuse(lists, a, partner(graph->write_read, a, count), "circular information flow");
        }
        for (uint32_t b = 0; b < count && life.isolation > 0; b++) {
            if (bit(graph->anti[a], b) && bit(graph->write_read[b], a)) {
                accuse(lists, a, b, "a single anti-dependency");
            }
        }
        if (life.isolation == 2 && bit(graph->all[a], a)) {
            accuse(lists, a, partner(graph->all, a, count), "a serialization anomaly");
        }
    }
    for (uint32_t a = 0; a < count && life.isolation == 1; a++) {
        kept->skewed |= bit(graph->all[a], a);
    }
    mem_free(graph);
}
