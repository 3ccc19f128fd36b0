/*
 * sql/session/notify.c - LISTEN, UNLISTEN, NOTIFY.
 *
 * What a transaction asks for waits in the session (`asked`) until it commits; a rollback to a
 * savepoint forgets what came after it. Just before the commit the session begins to listen, so
 * that no notification of a later commit can pass it by; just after it its own notifications are
 * put into the inboxes of all sessions that listen, under engine->notify_latch, which also guards
 * the lists of channels. An inbox is emptied by its own session, between transactions.
 *
 * A session that listens and waits for its client says so (`waiting`), and is woken by TASK_NOTIFY.
 * Sessions that never listened pay nothing.
 */
#include <stdio.h>

#include "base/mem.h"
#include "sql/session/session_internal.h"

enum {
    PAYLOAD_MAX = 7999,
    INBOXES_SIZE_MAX = 256 << 20, /* of all sessions */
};

struct session_notice {
    struct list_node node;
    uint32_t pid;
    size_t size; /* of all this */
    bool warning;
    const char *payload;
    char channel[]; /* then the payload */
};

struct session_asked {
    struct session_asked *next;
    enum ast_notify_kind kind;
    uint32_t savepoints; /* how many there were */
    const char *payload;
    char *channel; /* NULL: all; one allocation with the payload */
};

struct session_channel {
    struct list_node node;
    char name[];
};

/* ---- asking ---------------------------------------------------------------------------------- */

static enum err
ask(struct sql_session *session, enum ast_notify_kind kind, const char *channel,
    const char *payload, struct diag *diag)
{
    if (kind == AST_NOTIFY_NOTIFY && channel[0] == '\0') {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "channel name cannot be empty");
    }
    if (channel != NULL && strlen(channel) > NAME_MAX_BYTES) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "channel name too long");
    }
    if (payload != NULL && strlen(payload) > PAYLOAD_MAX) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "payload string too long");
    }
    payload = payload == NULL ? "" : payload;
    struct session_asked **end = &session->asked;
    for (; *end != NULL; end = &(*end)->next) {
        /* Said twice in a transaction, it is heard once. */
        if (kind == AST_NOTIFY_NOTIFY && (*end)->kind == kind &&
            strcmp((*end)->channel, channel) == 0 && strcmp((*end)->payload, payload) == 0) {
            return ERR_OK;
        }
    }
    struct session_asked *asked = mem_zalloc(sizeof *asked);
    asked->kind = kind;
    asked->savepoints = session->savepoint_count;
    if (channel != NULL) {
        size_t size = strlen(channel) + 1;
        asked->channel = mem_alloc(size + strlen(payload) + 1);
        memcpy(asked->channel, channel, size);
        memcpy(asked->channel + size, payload, strlen(payload) + 1);
        asked->payload = asked->channel + size;
    }
    *end = asked;
    return ERR_OK;
}

enum err
notify__statement(
    struct sql_session *session, const struct ast_notify *statement, struct diag *diag)
{
    return ask(session, statement->kind, statement->channel, statement->payload, diag);
}

void
notify__rollback(struct sql_session *session, uint32_t savepoints)
{
    struct session_asked **at = &session->asked;
    while (*at != NULL) {
        struct session_asked *asked = *at;
        if (savepoints > 0 && asked->savepoints < savepoints) {
            at = &asked->next;
            continue;
        }
        *at = asked->next;
        mem_free(asked->channel);
        mem_free(asked);
    }
}

void
notify__release(struct sql_session *session, uint32_t savepoints)
{
    for (struct session_asked *asked = session->asked; asked != NULL; asked = asked->next) {
        asked->savepoints = asked->savepoints < savepoints ? asked->savepoints : savepoints;
    }
}

/* ---- committing ------------------------------------------------------------------------------ */

static struct session_channel *
find_channel(const struct sql_session *session, const char *name)
{
    LIST_FOREACH (node, &session->channels) {
        struct session_channel *channel = LIST_ENTRY(node, struct session_channel, node);
        if (strcmp(channel->name, name) == 0) {
            return channel;
        }
    }
    return NULL;
}

static void
listen_to(struct sql_session *session, const char *name)
{
    if (find_channel(session, name) != NULL) {
        return;
    }
    struct session_channel *channel = mem_alloc(sizeof *channel + strlen(name) + 1);
    memcpy(channel->name, name, strlen(name) + 1);
    session->listens = true;
    session->channels_generation++;
    list_push_back(&session->channels, &channel->node);
}

static void
drop_channel(struct sql_session *session, struct session_channel *channel)
{
    session->channels_generation++;
    list_remove(&channel->node);
    mem_free(channel);
}

static void
unlisten(struct sql_session *session, const char *name)
{
    while (name == NULL && !list_empty(&session->channels)) {
        drop_channel(session, LIST_ENTRY(session->channels.next, struct session_channel, node));
    }
    struct session_channel *channel = name == NULL ? NULL : find_channel(session, name);
    if (channel != NULL) {
        drop_channel(session, channel);
    }
}

enum err
notify__before_commit(struct sql_session *session, struct diag *diag)
{
    enum err err = ERR_OK;
    if (session->asked == NULL) {
        return ERR_OK;
    }
    latch_acquire(&session->engine->notify_latch);
    for (const struct session_asked *at = session->asked; at != NULL; at = at->next) {
        if (at->kind == AST_NOTIFY_LISTEN) {
            listen_to(session, at->channel);
        } else if (at->kind == AST_NOTIFY_NOTIFY &&
                   session->engine->inboxes_size > INBOXES_SIZE_MAX) {
            err = ERR_PROGRAM_LIMIT;
        }
    }
    latch_release(&session->engine->notify_latch);
    return err == ERR_OK
               ? ERR_OK
               : diag_set(diag, ERR_PROGRAM_LIMIT, "too many notifications in the NOTIFY queue");
}

/* Into the inboxes of who listens. Both latches are held: sessions stay while we look at them. */
static void
send_one(struct sql_engine *engine, const char *database, uint32_t pid, const char *channel,
    const char *payload)
{
    const char *name = channel == NULL ? "" : channel;
    size_t channel_size = strlen(name) + 1;
    size_t payload_size = strlen(payload) + 1;
    LIST_FOREACH (node, &engine->sessions) {
        struct sql_session *to = LIST_ENTRY(node, struct sql_session, node);
        bool hears =
            to->listens && strcmp(to->database, database) == 0 &&
            (channel == NULL ? !list_empty(&to->channels) : find_channel(to, channel) != NULL);
        if (!hears) {
            continue;
        }
        struct session_notice *notice = mem_alloc(sizeof *notice + channel_size + payload_size);
        notice->pid = pid;
        notice->warning = channel == NULL;
        notice->size = sizeof *notice + channel_size + payload_size;
        memcpy(notice->channel, name, channel_size);
        memcpy(notice->channel + channel_size, payload, payload_size);
        notice->payload = notice->channel + channel_size;
        engine->inboxes_size += notice->size;
        list_push_back(&to->inbox, &notice->node);
        if (to->waiting) {
            to->waiting = false;
            task_interrupt(to->task, TASK_NOTIFY);
        }
    }
}

void
sql_engine_notify(struct sql_engine *engine, const char *database, uint32_t pid,
    const char *channel, const char *payload)
{
    latch_acquire(&engine->latch);
    latch_acquire(&engine->notify_latch);
    if (engine->inboxes_size <= INBOXES_SIZE_MAX) { /* else nobody reads */
        send_one(engine, database, pid, channel, payload);
    }
    latch_release(&engine->notify_latch);
    latch_release(&engine->latch);
}

void
sql_engine_channels(struct sql_engine *engine, const char *database,
    void (*each)(void *arg, const char *channel), void *arg)
{
    latch_acquire(&engine->latch);
    latch_acquire(&engine->notify_latch);
    LIST_FOREACH (node, &engine->sessions) {
        const struct sql_session *session = LIST_ENTRY(node, struct sql_session, node);
        if (!session->listens || strcmp(session->database, database) != 0) {
            continue;
        }
        LIST_FOREACH (at, &session->channels) {
            each(arg, LIST_ENTRY(at, struct session_channel, node)->name);
        }
    }
    latch_release(&engine->notify_latch);
    latch_release(&engine->latch);
}

uint32_t
sql_session_channels(const struct sql_session *session, bool *any)
{
    *any = session->listens && !list_empty(&session->channels);
    return session->channels_generation;
}

bool
sql_session_take_notice(struct sql_session *session, char **channel, char **payload)
{
    struct session_asked *asked = session->outbox;
    if (asked == NULL) {
        return false;
    }
    session->outbox = asked->next;
    *channel = asked->channel;
    *payload = asked->channel + strlen(asked->channel) + 1;
    mem_free(asked);
    return true;
}

/* The first of what was asked goes to the outbox's end, as a copy: the list keeps its own. */
static void
put_out(struct sql_session *session, const struct session_asked *asked)
{
    struct session_asked **end = &session->outbox;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    size_t size = strlen(asked->channel) + 1 + strlen(asked->payload) + 1;
    *end = mem_zalloc(sizeof **end);
    (*end)->channel = mem_alloc(size);
    memcpy((*end)->channel, asked->channel, size);
}

void
notify__after_commit(struct sql_session *session)
{
    if (session->asked == NULL) {
        return;
    }
    struct sql_engine *engine = session->engine;
    latch_acquire(&engine->latch);
    latch_acquire(&engine->notify_latch);
    for (const struct session_asked *at = session->asked; at != NULL; at = at->next) {
        if (at->kind == AST_NOTIFY_UNLISTEN) {
            unlisten(session, at->channel);
        } else if (at->kind == AST_NOTIFY_LISTEN) {
            listen_to(session, at->channel);
        } else if (session->relayed) {
            put_out(session, at);
        } else {
            send_one(engine, session->database, session->pid, at->channel, at->payload);
        }
    }
    latch_release(&engine->notify_latch);
    latch_release(&engine->latch);
    notify__rollback(session, 0); /* done with */
}

void
notify__end(struct sql_session *session)
{
    notify__rollback(session, 0);
    char *channel, *payload;
    while (sql_session_take_notice(session, &channel, &payload)) {
        mem_free(channel);
    }
    if (!session->listens) {
        return;
    }
    latch_acquire(&session->engine->notify_latch);
    unlisten(session, NULL);
    while (!list_empty(&session->inbox)) {
        struct session_notice *notice =
            LIST_ENTRY(session->inbox.next, struct session_notice, node);
        session->engine->inboxes_size -= notice->size;
        list_remove(&notice->node);
        mem_free(notice);
    }
    latch_release(&session->engine->notify_latch);
}

/* ---- the inbox ------------------------------------------------------------------------------- */

bool
sql_session_deliver(struct sql_session *session, bool waits)
{
    bool any = false;
    if (!session->listens || session->block != BLOCK_NONE || session->sink->notify == NULL) {
        return false;
    }
    struct sql_engine *engine = session->engine;
    latch_acquire(&engine->notify_latch);
    session->waiting = false;
    while (!list_empty(&session->inbox)) {
        struct session_notice *notice =
            LIST_ENTRY(session->inbox.next, struct session_notice, node);
        engine->inboxes_size -= notice->size;
        list_remove(&notice->node);
        if (notice->warning) {
            struct diag words;
            (void)diag_set(&words, ERR_WARNING, "%s", notice->payload);
            session->sink->notice(session->sink->arg, "WARNING", &words);
        } else {
            session->sink->notify(
                session->sink->arg, notice->pid, notice->channel, notice->payload);
        }
        mem_free(notice);
        any = true;
    }
    session->waiting = waits && !any;
    latch_release(&engine->notify_latch);
    return any;
}

/* ---- functions ------------------------------------------------------------------------------- */

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

FN(pg_notify)
{
    (void)count;
    const char *texts[2];
    for (int i = 0; i < 2; i++) {
        texts[i] =
            args[i].null ? "" : arena_strndup(eval->arena, (const char *)args[i].p, args[i].size);
    }
    *result = datum_int(0);
    return ask(eval->env->session, AST_NOTIFY_NOTIFY, texts[0], texts[1], eval->diag);
}

FN(queue_usage)
{
    (void)args;
    (void)count;
    latch_acquire(&eval->env->session->engine->notify_latch);
    *result = datum_float((double)eval->env->session->engine->inboxes_size / INBOXES_SIZE_MAX);
    latch_release(&eval->env->session->engine->notify_latch);
    return ERR_OK;
}

struct channels_state {
    uint32_t at;
};

static enum err
channels_start(struct eval *eval, void *memory, const struct datum *args, int count)
{
    (void)eval;
    (void)memory;
    (void)args;
    (void)count;
    return ERR_OK;
}

/* Only the session itself changes its list. */
static enum err
channels_next(struct eval *eval, void *memory, struct datum *value, bool *done)
{
    struct channels_state *state = memory;
    uint32_t at = 0;
    *done = true;
    LIST_FOREACH (node, &eval->env->session->channels) {
        if (at++ == state->at) {
            const char *name = LIST_ENTRY(node, struct session_channel, node)->name;
            *value = datum_bytes(arena_strdup(eval->arena, name), strlen(name));
            *done = false;
            break;
        }
    }
    state->at++;
    return ERR_OK;
}

static const struct set_function listening = {
    .state_size = sizeof(struct channels_state), .start = channels_start, .next = channels_next};

static const struct function functions[] = {
    {"pg_notify", 3036, TYPE_VOID, 2, 2, FUNCTION_VOLATILE, {TYPE_TEXT, TYPE_TEXT}, pg_notify, NULL,
        NULL},
    {"pg_notification_queue_usage", 3296, TYPE_FLOAT8, 0, 0, FUNCTION_STRICT | FUNCTION_VOLATILE,
        {0}, queue_usage, NULL, NULL},
    {"pg_listening_channels", 3035, TYPE_TEXT, 0, 0, FUNCTION_SET | FUNCTION_STABLE, {0}, NULL,
        NULL, &listening},
};

void
notify__register(void)
{
    function_register(functions, sizeof functions / sizeof functions[0]);
}
