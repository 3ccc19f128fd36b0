/*
 * tests/sim/model.c - one client's random SQL on two tables, beside a model in memory.
 *
 * Promised: each statement does what the model does; a rollback takes back what it should; after a
 * crash the tables are what the last acknowledged commit left, or, if a commit's outcome was
 * unknown, that or the one or the other.
 */
#include <stdlib.h>

#include "tests/sim/sim.h"

enum {
    TABLES = 2,
    ROWS_MAX = 256,
    A_MAX = 12,
    SAVEPOINTS = 3,
    TOKEN = 7,
};

struct row {
    bool there;
    bool a_null;
    int16_t a;
    uint32_t token; /* b is this, as %07u, so many times */
    uint16_t repeats;
};

struct table {
    bool there, indexed;
    struct row rows[ROWS_MAX];
};

struct image {
    struct table tables[TABLES];
};

/* How many ids there are. */
#define ROWS ((int)life.rows)

enum phase {
    PHASE_IDLE, /* working == committed */
    PHASE_OPEN,
    PHASE_UNKNOWN, /* a commit, or a statement that commits by itself, has been sent */
};

struct model {
    enum phase phase;
    struct image committed, working;
    struct image saved[SAVEPOINTS];
    unsigned depth;
    bool failed; /* the transaction */
    uint32_t next_token;
};

void
model_create(void)
{
    kept->model = kept_alloc(sizeof *kept->model);
    for (int i = 0; i < TABLES; i++) {
        kept->model->committed.tables[i] = (struct table){.there = true, .indexed = true};
    }
    kept->model->working = kept->model->committed;
}

void
model_set_up(struct client *client)
{
    for (int i = 0; i < TABLES; i++) {
        (void)client_query(client, "create table m%d (id int primary key, a int, b text)", i);
        (void)client_query(client, "create index m%d_a on m%d (a)", i, i);
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool
same_text(const char *text, const struct row *row)
{
    char token[16];
    (void)snprintf(token, sizeof token, "%07u", row->token % 10000000);
    if (text == NULL || strlen(text) != (size_t)row->repeats * TOKEN) {
        return false;
    }
    for (size_t i = 0; i < row->repeats; i++) {
        if (memcmp(text + i * TOKEN, token, TOKEN) != 0) {
            return false;
        }
    }
    return true;
}

static bool
same_a(const char *text, const struct row *row)
{
    return text == NULL ? row->a_null : !row->a_null && strtol(text, NULL, 10) == row->a;
}

/* Do the rows of the client's result, id, a, b in order of id, be those of the table in [low,
 * high]? Says in `words` what differs. */
static bool
same_rows(const struct client *client, const struct table *table, int low, int high, char *words,
    size_t size)
{
    uint32_t at = 0;
    for (int id = low; id <= high; id++) {
        const struct row *row = &table->rows[id];
        if (!row->there) {
            continue;
        }
        if (at == client->rows || client_int(client, at, 0) != id) {
            (void)snprintf(words, size, "row %d is missing (of %u rows)", id, client->rows);
            return false;
        }
        const char *a = client_value(client, at, 1);
        if (!same_a(a, row) || !same_text(client_value(client, at, 2), row)) {
            (void)snprintf(words, size, "row %d has a %s and should have %d%s, or its text differs",
                id, a == NULL ? "NULL" : a, row->a, row->a_null ? " (NULL)" : "");
            return false;
        }
        at++;
    }
    if (at < client->rows) {
        (void)snprintf(words, size, "row %s should not be there", client_value(client, at, 0));
        return false;
    }
    return true;
}

/* Compare the whole of table `t`; false if an answer is missing. */
static bool
compare(
    struct client *client, const struct image *image, int t, bool *same, char *words, size_t size)
{
    const struct table *table = &image->tables[t];
    if (client_query(client, "select id, a, b from m%d order by id", t) != ANSWER_DONE) {
        if (client_is_error(client, "42P01")) {
            *same = !table->there;
            (void)snprintf(words, size, "table m%d is missing", t);
            return client->status == 'I' || sim_must(client, "rollback");
        }
        if (client->answer == ANSWER_ERROR) {
            sim_check_error(client, "looking at the model's table");
        }
        return false;
    }
    *same = table->there;
    (void)snprintf(words, size, "table m%d should not be there", t);
    if (*same) {
        *same = same_rows(client, table, 0, ROWS - 1, words, size);
    }
    if (*same) {
        if (!sim_must(client, "select count(*) from pg_class where relname = 'm%d_a'", t)) {
            return false;
        }
        *same = (client_int(client, 0, 0) != 0) == table->indexed;
        (void)snprintf(words, size, "index m%d_a is or is not there", t);
    }
    return true;
}

/* By the index, if there is one. */
static bool
compare_index(struct client *client, const struct table *table, int t)
{
    for (int a = 0; a < A_MAX && table->there && table->indexed; a += 3) {
        if (!sim_must(
                client, "select id from m%d where a between %d and %d order by id", t, a, a + 2)) {
            return false;
        }
        uint32_t at = 0;
        for (int id = 0; id < ROWS; id++) {
            const struct row *row = &table->rows[id];
            if (row->there && !row->a_null && row->a >= a && row->a <= a + 2) {
                if (at == client->rows || client_int(client, at, 0) != id) {
                    sim_fail("index m%d_a has no row %d with a = %d", t, id, row->a);
                }
                at++;
            }
        }
        if (at != client->rows) {
            sim_fail("index m%d_a has rows between %d and %d that are not there", t, a, a + 2);
        }
    }
    return true;
}

bool
model_verify(struct client *client)
{
    struct model *model = kept->model;
    char words[128] = "";
    char others[128] = "";
    bool committed = true;
    bool working = true;
    for (int t = 0; t < TABLES; t++) {
        bool same = false;
        if (!compare(client, &model->committed, t, &same, words, sizeof words)) {
            return false;
        }
        committed = committed && same;
        if (model->phase == PHASE_UNKNOWN) {
            if (!compare(client, &model->working, t, &same, others, sizeof others)) {
                return false;
            }
            working = working && same;
        }
    }
    if (model->phase == PHASE_UNKNOWN) {
        kept->unknown++;
    }
    if (committed) {
        model->working = model->committed;
    } else if (model->phase == PHASE_UNKNOWN && working) {
        model->committed = model->working;
    } else if (!kept->lied) {
        sim_fail("the tables are not what was committed: %s%s%s", words,
            model->phase == PHASE_UNKNOWN ? "; nor what perhaps was: " : "", others);
    }
    model->phase = PHASE_IDLE;
    model->depth = 0;
    model->failed = false;
    for (int t = 0; t < TABLES && !kept->lied; t++) {
        if (!compare_index(client, &model->committed.tables[t], t)) {
            return false;
        }
    }
    return true;
}

/* ---- changing -------------------------------------------------------------------------------- */

/* Send a statement that changes the working image to what `after` is, if it succeeds. `expected`:
 * the SQLSTATE it must fail with, or NULL. */
static bool
change(struct client *client, const struct image *after, const char *expected, const char *text)
{
    struct model *model = kept->model;
    bool alone = model->phase == PHASE_IDLE;
    if (model->failed) {
        expected = "25P02";
    }
    if (alone && expected == NULL) {
        model->working = *after;
        model->phase = PHASE_UNKNOWN;
    }
    if (client_query_text(client, text) == ANSWER_LOST) {
        return false;
    }
    if (client->answer == ANSWER_DONE) {
        if (expected != NULL) {
            sim_fail("\"%s\" should have failed with %s", text, expected);
        }
        model->working = *after;
        if (alone) {
            model->committed = *after;
            model->phase = PHASE_IDLE;
            kept->commits++;
            sim_tempt(client, 16);
        }
        return true;
    }
    if (expected == NULL || strcmp(client->sqlstate, expected) != 0) {
        sim_check_error(client, text);
    }
    if (alone) {
        model->working = model->committed;
        model->phase = PHASE_IDLE;
    } else {
        model->failed = true;
    }
    return true;
}

static struct image *
next_image(void)
{
    static struct image image;
    image = kept->model->working;
    return &image;
}

static void
draw_row(struct row *row)
{
    uint32_t token = kept->model->next_token++;
    unsigned most = life.fat > 0 && kept_one_in(3) ? life.fat : 4;
    *row = (struct row){.there = true,
        .a_null = kept_one_in(10),
        .a = (int16_t)kept_draw(A_MAX),
        .token = token,
        .repeats = (uint16_t)kept_draw(most)};
}

static void
print_a(const struct row *row, char text[16])
{
    (void)snprintf(text, 16, row->a_null ? "null" : "%d", row->a);
}

/* What a statement on this table fails with before it comes to rows. */
static const char *
missing(const struct image *image, int t)
{
    return image->tables[t].there ? NULL : "42P01";
}

static bool
insert(struct client *client, int t)
{
    struct image *image = next_image();
    struct table *table = &image->tables[t];
    const char *expected = missing(image, t);
    bool on_conflict = kept_one_in(3);
    struct buffer text = {0};
    buffer_printf(&text, "insert into m%d values", t);
    unsigned count = 1 + (unsigned)kept_draw(3);
    int id = (int)kept_draw(life.rows);
    for (unsigned i = 0; i < count && id < ROWS; i++, id += 1 + (int)kept_draw(3)) {
        struct row row;
        char a[16];
        draw_row(&row);
        print_a(&row, a);
        buffer_printf(&text, "%s (%d, %s, repeat('%07u', %u))", i == 0 ? "" : ",", id, a,
            row.token % 10000000, row.repeats);
        if (table->rows[id].there && !on_conflict && expected == NULL) {
            expected = "23505";
        }
        table->rows[id] = row;
    }
    buffer_add_text(&text, on_conflict ? " on conflict (id) do update set a = excluded.a, "
                                         "b = excluded.b"
                                       : "");
    buffer_add_u8(&text, 0);
    bool good = change(client, image, expected, (const char *)text.data);
    buffer_destroy(&text);
    return good;
}

/* Many rows by one statement. */
static bool
insert_range(struct client *client, int t)
{
    struct image *image = next_image();
    struct table *table = &image->tables[t];
    const char *expected = missing(image, t);
    bool skip = kept_one_in(2);
    struct row row;
    char a[16];
    char text[256];
    draw_row(&row);
    if (life.fat > 0) {
        row.repeats = (uint16_t)(life.fat / 4 + kept_draw(life.fat));
    }
    print_a(&row, a);
    int low = (int)kept_draw(life.rows);
    int high = low + (int)kept_draw(life.fat > 0 ? life.rows : life.rows / 4);
    high = high < ROWS ? high : ROWS - 1;
    for (int id = low; id <= high; id++) {
        if (!table->rows[id].there) {
            table->rows[id] = row;
        } else if (!skip && expected == NULL) {
            expected = "23505";
        }
    }
    (void)snprintf(text, sizeof text,
        "insert into m%d select g, %s, repeat('%07u', %u) from generate_series(%d, %d) g%s", t, a,
        row.token % 10000000, row.repeats, low, high, skip ? " on conflict do nothing" : "");
    return change(client, image, expected, text);
}

static bool
update(struct client *client, int t)
{
    struct image *image = next_image();
    struct table *table = &image->tables[t];
    struct row new;
    draw_row(&new);
    char text[256];
    char a[16];
    print_a(&new, a);
    int low = (int)kept_draw(life.rows);
    int high = low + (int)kept_draw(life.rows / 8);
    int match = (int)kept_draw(A_MAX);
    unsigned kind = (unsigned)kept_draw(4);
    for (int id = 0; id < ROWS; id++) {
        struct row *row = &table->rows[id];
        bool in_range = id >= low && id <= high;
        bool matches = !row->a_null && row->a == match;
        if (!row->there || !(kind == 2 ? matches : in_range)) {
            continue;
        }
        if (kind == 1) {
            row->token = new.token;
            row->repeats = new.repeats;
        } else if (kind == 3) {
            row->a = (int16_t)((row->a + 1) % A_MAX);
        } else {
            row->a = new.a;
            row->a_null = new.a_null;
        }
    }
    switch (kind) {
    case 0:
        (void)snprintf(
            text, sizeof text, "update m%d set a = %s where id between %d and %d", t, a, low, high);
        break;
    case 1:
        (void)snprintf(text, sizeof text,
            "update m%d set b = repeat('%07u', %u) where id between %d and %d", t,
            new.token % 10000000, new.repeats, low, high);
        break;
    case 2:
        (void)snprintf(text, sizeof text, "update m%d set a = %s where a = %d", t, a, match);
        break;
    default:
        (void)snprintf(text, sizeof text,
            "update m%d set a = (a + 1) %% %d where id >= %d and id <= %d", t, A_MAX, low, high);
    }
    return change(client, image, missing(image, t), text);
}

static bool
remove_rows(struct client *client, int t)
{
    struct image *image = next_image();
    struct table *table = &image->tables[t];
    char text[128];
    int low = (int)kept_draw(life.rows);
    int high = low + (int)kept_draw(life.rows / 6);
    int match = (int)kept_draw(A_MAX);
    bool by_a = kept_one_in(2);
    if (kept_one_in(20)) {
        (void)snprintf(text, sizeof text, "truncate m%d", t);
        memset(table->rows, 0, sizeof table->rows);
        return change(client, image, missing(image, t), text);
    }
    for (int id = 0; id < ROWS; id++) {
        struct row *row = &table->rows[id];
        if (by_a ? !row->a_null && row->a == match : id >= low && id <= high) {
            *row = (struct row){0};
        }
    }
    if (by_a) {
        (void)snprintf(text, sizeof text, "delete from m%d where a = %d", t, match);
    } else {
        (void)snprintf(
            text, sizeof text, "delete from m%d where id between %d and %d", t, low, high);
    }
    return change(client, image, missing(image, t), text);
}

static bool
define(struct client *client, int t)
{
    struct image *image = next_image();
    struct table *table = &image->tables[t];
    char text[128];
    const char *expected = missing(image, t);
    if (!table->there) {
        (void)snprintf(
            text, sizeof text, "create table m%d (id int primary key, a int, b text)", t);
        *table = (struct table){.there = true};
        expected = NULL;
    } else if (kept_one_in(4)) {
        (void)snprintf(text, sizeof text, "drop table m%d", t);
        *table = (struct table){0};
    } else if (table->indexed) {
        (void)snprintf(text, sizeof text, "drop index m%d_a", t);
        table->indexed = false;
    } else {
        (void)snprintf(text, sizeof text, "create index m%d_a on m%d (a)", t, t);
        table->indexed = true;
    }
    return change(client, image, expected, text);
}

static bool
look(struct client *client, int t)
{
    struct model *model = kept->model;
    const struct table *table = &model->working.tables[t];
    int low = (int)kept_draw(life.rows);
    int high = low + (int)kept_draw(life.rows);
    high = high < ROWS ? high : ROWS - 1;
    enum answer answer = client_query(client,
        kept_one_in(2) ? "select id, a, b from m%d where id between %d and %d order by id"
                       : "select id, a, b from m%d where id >= %d and id < %d + 1 order by 1",
        t, low, high);
    if (answer == ANSWER_DONE) {
        char words[128];
        if (model->failed || !table->there ||
            !same_rows(client, table, low, high, words, sizeof words)) {
            sim_fail("the model's client saw m%d wrongly: %s", t,
                table->there ? words : "it should not be there");
        }
        return true;
    }
    if (answer == ANSWER_ERROR) {
        const char *expected = model->failed ? "25P02" : table->there ? "" : "42P01";
        if (strcmp(client->sqlstate, expected) != 0) {
            sim_check_error(client, "a look at the model's table");
        }
        if (model->phase == PHASE_OPEN) {
            model->failed = true;
        }
    }
    return answer != ANSWER_LOST;
}

/* ---- transactions ---------------------------------------------------------------------------- */

static bool
finish(struct client *client)
{
    struct model *model = kept->model;
    bool commit = !kept_one_in(4);
    if (commit && !model->failed) {
        model->phase = PHASE_UNKNOWN;
    }
    enum answer answer = client_query(client, commit ? "commit" : "rollback");
    if (answer == ANSWER_LOST) {
        return false;
    }
    if (answer == ANSWER_ERROR) {
        sim_check_error(client, "the end of a transaction");
    }
    bool committed = answer == ANSWER_DONE && commit && !model->failed;
    if (answer == ANSWER_DONE && strcmp(client->tag, committed ? "COMMIT" : "ROLLBACK") != 0) {
        sim_fail("the end of a transaction was answered with %s", client->tag);
    }
    if (committed) {
        model->committed = model->working;
        kept->commits++;
    } else {
        model->working = model->committed;
    }
    model->phase = PHASE_IDLE;
    model->depth = 0;
    model->failed = false;
    if (committed) {
        sim_tempt(client, 16);
    }
    return client->status == 'I' || sim_must(client, "rollback");
}

static bool
savepoint(struct client *client)
{
    struct model *model = kept->model;
    bool back = model->depth > 0 && (model->failed || kept_one_in(2));
    if (back) {
        unsigned to = (unsigned)kept_draw(model->depth);
        enum answer answer = client_query(client, "rollback to s%u", to);
        if (answer == ANSWER_ERROR) {
            sim_check_error(client, "rollback to a savepoint");
            model->failed = true;
            return true;
        }
        if (answer == ANSWER_DONE) {
            model->working = model->saved[to];
            model->depth = to + 1;
            model->failed = false;
        }
        return answer != ANSWER_LOST;
    }
    if (model->failed || model->depth == SAVEPOINTS) {
        return true;
    }
    enum answer answer = client_query(client, "savepoint s%u", model->depth);
    if (answer == ANSWER_DONE) {
        model->saved[model->depth++] = model->working;
    } else if (answer == ANSWER_ERROR) {
        sim_check_error(client, "a savepoint");
        model->failed = true;
    }
    return answer != ANSWER_LOST;
}

static bool
begin(struct client *client)
{
    static const char *const begins[] = {"begin", "start transaction isolation level serializable",
        "begin isolation level repeatable read"};
    enum answer answer = client_query(client, "%s", begins[kept_draw(3)]);
    if (answer == ANSWER_DONE) {
        kept->model->phase = PHASE_OPEN;
    } else if (answer == ANSWER_ERROR) {
        sim_check_error(client, "begin");
    }
    return answer != ANSWER_LOST;
}

static int
rows_there(const struct table *table)
{
    int count = 0;
    for (int id = 0; id < ROWS; id++) {
        count += table->rows[id].there;
    }
    return count;
}

bool
model_step(struct client *client)
{
    struct model *model = kept->model;
    int t = (int)kept_draw(TABLES);
    if (model->phase == PHASE_IDLE && kept_one_in(3)) {
        return begin(client);
    }
    if (model->phase == PHASE_OPEN) {
        if (kept_one_in(6)) {
            return finish(client);
        }
        if (kept_one_in(4)) {
            return savepoint(client);
        }
    }
    if (life.fat > 0 && model->working.tables[t].there && !model->failed &&
        rows_there(&model->working.tables[t]) < ROWS / 3) {
        return insert_range(client, t);
    }
    uint64_t what = kept_draw(40);
    return what < 11   ? insert(client, t)
           : what < 14 ? insert_range(client, t)
           : what < 24 ? update(client, t)
           : what < 29 ? remove_rows(client, t)
           : what < 31 ? define(client, t)
                       : look(client, t);
}
