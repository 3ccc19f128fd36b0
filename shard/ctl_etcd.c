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
    HTTP_OK = 200,
};

struct etcd {
    CURL *curl;
    char *text; /* endpoints and prefix point into it */
    const char *endpoints[ENDPOINTS_MAX];
    size_t endpoint_count, endpoint; /* the one that answered last */
    const char *prefix;
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
        char url[512];
        (void)snprintf(
            url, sizeof url, "http://%s/v3/%s", etcd->endpoints[etcd->endpoint], post->path);
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

static void
close_etcd(struct task *task, void *state)
{
    (void)task;
    struct etcd *etcd = state;
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
    add_key(request, etcd, arena, prefix);
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
        cJSON_AddStringToObject(request, "range_end", encoded(arena, end, size > 0 ? size : 1));
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
};
