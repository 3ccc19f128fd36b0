/*
 * shard/ctl_etcd.c - the control store in etcd, through its HTTP gateway (v3 API, JSON).
 *
 * Each call is one POST, made with libcurl by a helper thread while the task sleeps. Keys and
 * values are base64, 64-bit numbers are strings; a document's version is its mod_revision. If an
 * endpoint does not answer the next one is asked, and asked first from then on.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <openssl/evp.h>

#include "base/latch.h"
#include "base/mem.h"
#include "shard/ctl_internal.h"

enum {
    CONNECT_TIMEOUT_MS = 1000,
    TIMEOUT_MS = 5000,
    ANSWER_SIZE_MAX = 64 * 1024 * 1024,
    ENDPOINTS_MAX = 16,
    URL_SIZE = 512,
    HTTP_OK = 200,
    LISTEN_MS = 200, /* at most, until somebody looks whether the task shall end */
    SILENCE_US = 15 * 1000 * 1000,
};

/* What is watched, over a connection of its own. Between calls it stays open, and what comes waits
 * in it. */
struct watch {
    CURLM *multi;
    CURL *curl;   /* NULL: not connected */
    char *prefix; /* NULL: nothing is watched */
    char *body;
    struct buffer line;
    uint64_t revision; /* the store's, when the documents were looked at */
    uint64_t version;  /* what was told then */
    int64_t looked_us;
    bool known;   /* the last two are */
    bool hinted;  /* something has changed behind `revision` */
    bool created; /* the store is at it */
    bool ended;   /* the connection, or its sense */
    char words[160];
};

struct etcd {
    CURL *curl;
    char *text; /* endpoints and prefix point into it */
    const char *endpoints[ENDPOINTS_MAX];
    size_t endpoint_count, endpoint; /* the one that answered last */
    const char *prefix;
    struct watch watch;
};

/* ---- base64 ---------------------------------------------------------------------------------- */

static const char *
encoded(struct arena *arena, const void *bytes, size_t size)
{
    char *text = arena_alloc(arena, (size + 2) / 3 * 4 + 1);
    (void)EVP_EncodeBlock((unsigned char *)text, bytes, (int)size);
    return text;
}

/* NULL if it is none. */
static const char *
decoded(struct arena *arena, const char *text)
{
    size_t size = strlen(text);
    unsigned char *bytes = arena_alloc(arena, size + 4);
    int got = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)size);
    if (got < 0 || size % 4 != 0) {
        return NULL;
    }
    /* It counts the padding as bytes. */
    size_t padding = size >= 1 && text[size - 1] == '=' ? 1U : 0U;
    padding += size >= 2 && text[size - 2] == '=' ? 1U : 0U;
    bytes[(size_t)got - padding] = 0;
    return (const char *)bytes;
}

/* ---- one call -------------------------------------------------------------------------------- */

struct post {
    struct etcd *etcd;
    const char *path, *body;
    struct buffer answer;
    CURLcode result;
    long status;
};

static void
put_url(const struct etcd *etcd, const char *path, char url[URL_SIZE])
{
    (void)snprintf(url, URL_SIZE, "http://%s/v3/%s", etcd->endpoints[etcd->endpoint], path);
}

static size_t
take_answer(char *bytes, size_t size, size_t count, void *arg)
{
    struct post *post = arg;
    if (post->answer.size + size * count > ANSWER_SIZE_MAX) {
        return 0;
    }
    buffer_add(&post->answer, bytes, size * count);
    return size * count;
}

/* On a helper thread. */
static void
perform(void *arg)
{
    struct post *post = arg;
    struct etcd *etcd = post->etcd;
    for (size_t tries = 0; tries < etcd->endpoint_count; tries++) {
        char url[URL_SIZE];
        put_url(etcd, post->path, url);
        post->answer.size = 0;
        curl_easy_setopt(etcd->curl, CURLOPT_URL, url);
        curl_easy_setopt(etcd->curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(etcd->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
        curl_easy_setopt(etcd->curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
        curl_easy_setopt(etcd->curl, CURLOPT_POSTFIELDS, post->body);
        curl_easy_setopt(etcd->curl, CURLOPT_WRITEFUNCTION, take_answer);
        curl_easy_setopt(etcd->curl, CURLOPT_WRITEDATA, post);
        post->result = curl_easy_perform(etcd->curl);
        curl_easy_getinfo(etcd->curl, CURLINFO_RESPONSE_CODE, &post->status);
        if (post->result == CURLE_OK && post->status < 500) {
            break;
        }
        etcd->endpoint = (etcd->endpoint + 1) % etcd->endpoint_count;
    }
    buffer_add_u8(&post->answer, 0);
}

static enum err
bad_answer(const char *path, struct diag *diag)
{
    return diag_set(diag, ERR_CONNECTION_FAILURE, "etcd gave no sound answer to %s", path);
}

/* Consumes the request. *status: HTTP's; the answer is the caller's to delete. */
static enum err
call(struct task *task, struct etcd *etcd, const char *path, cJSON *request, cJSON **answer,
    long *status, struct diag *diag)
{
    char *body = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    struct post post = {.etcd = etcd, .path = path, .body = body};
    world_offload(task, perform, &post);
    cJSON_free(body);
    enum err err = ERR_OK;
    *answer = NULL;
    *status = post.status;
    if (post.result != CURLE_OK) {
        err = diag_set(diag, ERR_CONNECTION_FAILURE, "etcd at %s does not answer: %s",
            etcd->endpoints[etcd->endpoint], curl_easy_strerror(post.result));
    } else {
        *answer = cJSON_Parse((const char *)post.answer.data);
        if (!cJSON_IsObject(*answer)) {
            err = bad_answer(path, diag);
        } else if (post.status >= 500) {
            const char *words =
                cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(*answer, "error"));
            err = diag_set(diag, ERR_CONNECTION_FAILURE, "etcd cannot: %s",
                words == NULL ? "no words" : words);
        }
    }
    if (err != ERR_OK) {
        cJSON_Delete(*answer);
        *answer = NULL;
    }
    buffer_destroy(&post.answer);
    return err;
}

static enum err
call_ok(struct task *task, struct etcd *etcd, const char *path, cJSON *request, cJSON **answer,
    struct diag *diag)
{
    long status;
    TRY(call(task, etcd, path, request, answer, &status, diag));
    if (status == HTTP_OK) {
        return ERR_OK;
    }
    const char *words = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(*answer, "error"));
    enum err err = diag_set(
        diag, ERR_OBJECT_STATE, "etcd refuses %s: %s", path, words == NULL ? "no words" : words);
    cJSON_Delete(*answer);
    *answer = NULL;
    return err;
}

static uint64_t
number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? strtoull(item->valuestring, NULL, 10) : 0;
}

static void
add_number(cJSON *object, const char *name, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    cJSON_AddStringToObject(object, name, text);
}

static void
add_key(cJSON *object, const struct etcd *etcd, struct arena *arena, const char *key)
{
    const char *full = arena_printf(arena, "%s%s", etcd->prefix, key);
    cJSON_AddStringToObject(object, "key", encoded(arena, full, strlen(full)));
}

/* The key, or all that begin so. */
static void
add_range(
    cJSON *object, const struct etcd *etcd, struct arena *arena, const char *prefix, bool exact)
{
    add_key(object, etcd, arena, prefix);
    if (!exact) {
        /* The end of all keys with this prefix: its last byte, one higher; "\0" is all keys. */
        char *end = arena_printf(arena, "%s%s", etcd->prefix, prefix);
        size_t size = strlen(end);
        while (size > 0 && (unsigned char)end[size - 1] == 0xFF) {
            size--;
        }
        if (size > 0) {
            end[size - 1]++;
        }
        cJSON_AddStringToObject(object, "range_end", encoded(arena, end, size > 0 ? size : 1));
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

enum err
ctl__etcd_open(const char *where, void **state, struct diag *diag)
{
    static struct latch latch;
    static bool begun;
    latch_acquire(&latch);
    if (!begun) {
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        begun = true;
    }
    latch_release(&latch);
    struct etcd *etcd = mem_zalloc(sizeof *etcd);
    etcd->text = mem_strdup(where);
    char *slash = strchr(etcd->text, '/');
    etcd->prefix = slash == NULL ? "" : slash; /* with the slash: /tusk/c1 */
    if (slash != NULL) {
        etcd->prefix = slash + 1;
        *slash = '\0';
    }
    for (char *at = etcd->text; *at != '\0' && etcd->endpoint_count < ENDPOINTS_MAX;) {
        size_t size = strcspn(at, ",");
        etcd->endpoints[etcd->endpoint_count++] = at;
        at += size;
        if (*at == ',') {
            *at++ = '\0';
        }
    }
    etcd->curl = curl_easy_init();
    if (etcd->endpoint_count == 0 || etcd->curl == NULL) {
        curl_easy_cleanup(etcd->curl);
        mem_free(etcd->text);
        mem_free(etcd);
        return diag_set(
            diag, ERR_INVALID_PARAMETER_VALUE, "invalid address of etcd: \"%s\"", where);
    }
    *state = etcd;
    return ERR_OK;
}

/* ---- watching --------------------------------------------------------------------------------
 *
 * What is told is what a look at the documents says (their newest version, their number); the
 * stream of events only says when to look. It begins behind the revision of the last look, so
 * nothing is missed in between, whenever it was opened. If it cannot begin there any more
 * (compaction), is not to be understood, or says nothing for long (the store was set back, a
 * connection nobody is at the other end of), a look helps: then it begins behind that.
 */

static void
hang_up(struct watch *watch)
{
    if (watch->curl != NULL) {
        (void)curl_multi_remove_handle(watch->multi, watch->curl);
        curl_easy_cleanup(watch->curl);
        watch->curl = NULL;
    }
    cJSON_free(watch->body);
    watch->body = NULL;
    watch->line.size = 0;
    watch->created = watch->ended = false;
}

static void
forget_watch(struct watch *watch)
{
    hang_up(watch);
    if (watch->multi != NULL) {
        (void)curl_multi_cleanup(watch->multi);
    }
    buffer_destroy(&watch->line);
    mem_free(watch->prefix);
    *watch = (struct watch){0};
}

/* One line of the answer. */
static void
take_line(struct watch *watch, const char *line)
{
    cJSON *root = cJSON_Parse(line);
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(root, "result");
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(result, "events");
    if (!cJSON_IsObject(result) ||
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "canceled"))) {
        watch->ended = watch->hinted = true;
        (void)snprintf(watch->words, sizeof watch->words, "%s",
            number(result, "compact_revision") > 0 ? "compacted" : "not to be understood");
    } else if (cJSON_GetArraySize(events) > 0) {
        uint64_t revision = number(cJSON_GetObjectItemCaseSensitive(result, "header"), "revision");
        watch->hinted = watch->hinted || revision == 0 || revision > watch->revision;
    } else if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "created"))) {
        watch->created = true;
    }
    cJSON_Delete(root);
}

static size_t
take_events(char *bytes, size_t size, size_t count, void *arg)
{
    struct watch *watch = arg;
    size_t taken = size * count;
    while (taken > 0) {
        const char *end = memchr(bytes, '\n', taken);
        size_t part = end == NULL ? taken : (size_t)(end - bytes) + 1;
        if (watch->line.size + part > ANSWER_SIZE_MAX) {
            watch->hinted = true;
            return 0;
        }
        buffer_add(&watch->line, bytes, part);
        if (end != NULL) {
            watch->line.data[watch->line.size - 1] = 0;
            take_line(watch, (const char *)watch->line.data);
            watch->line.size = 0;
        }
        bytes += part;
        taken -= part;
    }
    return size * count;
}

static void
open_stream(struct etcd *etcd)
{
    struct watch *watch = &etcd->watch;
    struct arena arena;
    char url[URL_SIZE];
    arena_create(&arena, "watch");
    cJSON *request = cJSON_CreateObject();
    cJSON *create = cJSON_AddObjectToObject(request, "create_request");
    add_range(create, etcd, &arena, watch->prefix, false);
    add_number(create, "start_revision", watch->revision + 1);
    watch->body = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    arena_destroy(&arena);
    put_url(etcd, "watch", url);
    watch->multi = watch->multi == NULL ? curl_multi_init() : watch->multi;
    watch->curl = curl_easy_init();
    if (watch->multi == NULL || watch->curl == NULL) {
        watch->ended = true;
        return;
    }
    curl_easy_setopt(watch->curl, CURLOPT_URL, url);
    curl_easy_setopt(watch->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(watch->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(watch->curl, CURLOPT_POSTFIELDS, watch->body);
    curl_easy_setopt(watch->curl, CURLOPT_WRITEFUNCTION, take_events);
    curl_easy_setopt(watch->curl, CURLOPT_WRITEDATA, watch);
    watch->ended = curl_multi_add_handle(watch->multi, watch->curl) != CURLM_OK;
}

struct listening {
    struct etcd *etcd;
    int wait_ms;
};

/* On a helper thread, until there is something to look at or the time is over. */
static void
listen_for(void *arg)
{
    struct listening *listening = arg;
    struct watch *watch = &listening->etcd->watch;
    int running = 0, left;
    if (watch->curl == NULL) {
        open_stream(listening->etcd);
    }
    for (int i = 0; i < 2 && !watch->ended && !watch->hinted; i++) {
        if (i > 0) {
            (void)curl_multi_poll(watch->multi, NULL, 0, listening->wait_ms, NULL);
        }
        (void)curl_multi_perform(watch->multi, &running);
        const CURLMsg *message = curl_multi_info_read(watch->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            watch->ended = true;
            (void)snprintf(
                watch->words, sizeof watch->words, "%s", curl_easy_strerror(message->data.result));
        }
    }
}

/* How it is now. */
static enum err
look(struct task *task, struct etcd *etcd, struct diag *diag)
{
    struct watch *watch = &etcd->watch;
    struct arena arena;
    cJSON *request = cJSON_CreateObject(), *answer;
    arena_create(&arena, "watch");
    add_range(request, etcd, &arena, watch->prefix, false);
    cJSON_AddBoolToObject(request, "keys_only", true);
    enum err err = call_ok(task, etcd, "kv/range", request, &answer, diag);
    arena_destroy(&arena);
    TRY(err);
    uint64_t newest = 0, count = 0;
    uint64_t revision = number(cJSON_GetObjectItemCaseSensitive(answer, "header"), "revision");
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, "kvs"))
    {
        uint64_t version = number(item, "mod_revision");
        newest = version > newest ? version : newest;
        count++;
    }
    cJSON_Delete(answer);
    if (revision == 0) {
        return bad_answer("kv/range", diag);
    }
    uint64_t version = ctl__watch_version(newest, count);
    /* The stream has not told of it, or is at a revision that does not come: it is no good. */
    if (watch->known &&
        (revision < watch->revision || (version != watch->version && !watch->hinted))) {
        watch->ended = true;
    }
    watch->revision = revision;
    watch->version = version;
    watch->looked_us = world_clock_us(task_world(task));
    watch->known = true;
    watch->hinted = false;
    return ERR_OK;
}

static enum err
watch_prefix(struct task *task, void *state, const char *prefix, int64_t deadline_us,
    uint64_t *version, bool *changed, struct diag *diag)
{
    struct etcd *etcd = state;
    struct watch *watch = &etcd->watch;
    size_t failures = 0;
    if (watch->prefix == NULL || strcmp(watch->prefix, prefix) != 0) {
        forget_watch(watch);
        watch->prefix = mem_strdup(prefix);
    }
    for (bool first = true;; first = false) {
        int64_t now = world_clock_us(task_world(task));
        bool late = now >= deadline_us;
        if (!watch->known || watch->hinted || (first && (late || watch->curl == NULL)) ||
            now >= watch->looked_us + SILENCE_US) {
            TRY(look(task, etcd, diag));
        }
        *changed = watch->version != *version;
        *version = watch->version;
        if (*changed || late) {
            return ERR_OK;
        }
        TRY(task_interrupted(task, diag));
        int64_t wait_ms = (deadline_us - now) / 1000 + 1;
        struct listening listening = {etcd, wait_ms < LISTEN_MS ? (int)wait_ms : LISTEN_MS};
        world_offload(task, listen_for, &listening);
        failures = watch->created ? 0 : failures;
        if (watch->ended) { /* from the last look on, at the next endpoint if it never began */
            bool created = watch->created;
            hang_up(watch);
            etcd->endpoint = (etcd->endpoint + (created ? 0 : 1)) % etcd->endpoint_count;
            if (!created && ++failures > etcd->endpoint_count) {
                return diag_set(
                    diag, ERR_CONNECTION_FAILURE, "etcd cannot be watched: %s", watch->words);
            }
        }
    }
}

static void
close_etcd(struct task *task, void *state)
{
    (void)task;
    struct etcd *etcd = state;
    forget_watch(&etcd->watch);
    curl_easy_cleanup(etcd->curl);
    mem_free(etcd->text);
    mem_free(etcd);
}

/* ---- documents ------------------------------------------------------------------------------- */

static enum err
read_entry(const struct etcd *etcd, const cJSON *item, struct arena *arena, struct ctl_entry *entry,
    struct diag *diag)
{
    const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "key"));
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "value"));
    const char *name = key == NULL ? NULL : decoded(arena, key);
    size_t prefix = strlen(etcd->prefix);
    entry->value = decoded(arena, value == NULL ? "" : value);
    if (name == NULL || entry->value == NULL || strncmp(name, etcd->prefix, prefix) != 0) {
        return bad_answer("kv/range", diag);
    }
    entry->key = name + prefix;
    entry->version = number(item, "mod_revision");
    entry->lease = number(item, "lease");
    return ERR_OK;
}

static enum err
list(struct task *task, void *state, const char *prefix, bool exact, struct arena *arena,
    struct ctl_entry **entries, size_t *count, struct diag *diag)
{
    struct etcd *etcd = state;
    cJSON *request = cJSON_CreateObject();
    add_range(request, etcd, arena, prefix, exact);
    if (!exact) {
        cJSON_AddStringToObject(request, "sort_target", "KEY");
        cJSON_AddStringToObject(request, "sort_order", "ASCEND");
    }
    cJSON *answer;
    TRY(call_ok(task, etcd, "kv/range", request, &answer, diag));
    const cJSON *kvs = cJSON_GetObjectItemCaseSensitive(answer, "kvs");
    *entries = arena_array(arena, (size_t)cJSON_GetArraySize(kvs), sizeof **entries);
    *count = 0;
    enum err err = ERR_OK;
    const cJSON *item;
    cJSON_ArrayForEach(item, kvs)
    {
        if (err == ERR_OK) {
            err = read_entry(etcd, item, arena, &(*entries)[(*count)++], diag);
        }
    }
    cJSON_Delete(answer);
    return err;
}

static void
add_write(cJSON *array, const struct etcd *etcd, struct arena *arena, const struct ctl_write *write)
{
    cJSON *operation = cJSON_CreateObject();
    cJSON *inner = cJSON_AddObjectToObject(
        operation, write->value != NULL ? "requestPut" : "requestDeleteRange");
    add_key(inner, etcd, arena, write->key);
    if (write->value != NULL) {
        cJSON_AddStringToObject(inner, "value", encoded(arena, write->value, strlen(write->value)));
        if (write->lease != 0) {
            add_number(inner, "lease", write->lease);
        }
    }
    cJSON_AddItemToArray(array, operation);
}

static enum err
txn(struct task *task, void *state, const struct ctl_compare *compares, size_t compare_count,
    const struct ctl_write *writes, size_t write_count, bool *done, uint64_t *version,
    struct diag *diag)
{
    struct etcd *etcd = state;
    struct arena arena;
    arena_create(&arena, "etcd");
    cJSON *request = cJSON_CreateObject();
    cJSON *compare = cJSON_AddArrayToObject(request, "compare");
    for (size_t i = 0; i < compare_count; i++) {
        cJSON *item = cJSON_CreateObject();
        add_key(item, etcd, &arena, compares[i].key);
        cJSON_AddStringToObject(item, "target", "MOD");
        cJSON_AddStringToObject(item, "result", "EQUAL");
        add_number(item, "modRevision", compares[i].version);
        cJSON_AddItemToArray(compare, item);
    }
    cJSON *success = cJSON_AddArrayToObject(request, "success");
    for (size_t i = 0; i < write_count; i++) {
        add_write(success, etcd, &arena, &writes[i]);
    }
    cJSON *answer;
    enum err err = call_ok(task, etcd, "kv/txn", request, &answer, diag);
    if (err == ERR_OK) {
        *done = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "succeeded"));
        *version = number(cJSON_GetObjectItemCaseSensitive(answer, "header"), "revision");
        cJSON_Delete(answer);
    }
    arena_destroy(&arena);
    return err;
}

/* ---- leases ---------------------------------------------------------------------------------- */

static enum err
lease_grant(struct task *task, void *state, unsigned ttl_s, uint64_t *lease, struct diag *diag)
{
    cJSON *request = cJSON_CreateObject();
    add_number(request, "TTL", ttl_s == 0 ? 1 : ttl_s);
    cJSON *answer;
    TRY(call_ok(task, state, "lease/grant", request, &answer, diag));
    *lease = number(answer, "ID");
    cJSON_Delete(answer);
    return *lease != 0 ? ERR_OK : bad_answer("lease/grant", diag);
}

static enum err
lease_keepalive(struct task *task, void *state, uint64_t lease, bool *alive, struct diag *diag)
{
    cJSON *request = cJSON_CreateObject();
    add_number(request, "ID", lease);
    cJSON *answer;
    TRY(call_ok(task, state, "lease/keepalive", request, &answer, diag));
    *alive = number(cJSON_GetObjectItemCaseSensitive(answer, "result"), "TTL") > 0;
    cJSON_Delete(answer);
    return ERR_OK;
}

static enum err
lease_revoke(struct task *task, void *state, uint64_t lease, struct diag *diag)
{
    cJSON *request = cJSON_CreateObject();
    add_number(request, "ID", lease);
    cJSON *answer;
    long status; /* 404: it has ended by itself */
    TRY(call(task, state, "lease/revoke", request, &answer, &status, diag));
    cJSON_Delete(answer);
    return ERR_OK;
}

const struct ctl_backend ctl__etcd = {
    .close = close_etcd,
    .list = list,
    .txn = txn,
    .lease_grant = lease_grant,
    .lease_keepalive = lease_keepalive,
    .lease_revoke = lease_revoke,
    .watch = watch_prefix,
};
