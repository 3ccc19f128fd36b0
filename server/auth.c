/* server/auth.c - host rules and SCRAM-SHA-256. */
#include "server/auth.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "sql/catalog/access.h"

/* ---- rules ----------------------------------------------------------------------------------- */

enum {
    RULES_SIZE_MAX = 1 << 20,
};

struct host_rule {
    struct host_rule *next;
    const char *databases, *users; /* as written, without blanks */
    int family;
    uint8_t address[16];
    unsigned bits;
    enum auth_method method;
};

struct host_rules {
    struct arena arena;
    struct host_rule *first;
    struct host_rules *older;
};

static const char rules_file[] = "tusk_hba.conf";
static const char default_rules[] =
    "# Who may connect from where, and how they prove who they are. The first line that fits "
    "decides.\n"
    "# Read at the start and on SIGHUP.\n"
    "#\n"
    "# host  DATABASE  USER  ADDRESS  METHOD    (trust, reject, scram-sha-256)\n"
    "host  all  all  127.0.0.0/8  trust\n"
    "host  all  all  ::1/128      trust\n"
    "host  all  all  0.0.0.0/0    scram-sha-256\n"
    "host  all  all  ::/0         scram-sha-256\n";

static bool
parse_address(char *text, struct host_rule *rule)
{
    if (strcmp(text, "all") == 0) {
        rule->family = AF_UNSPEC;
        return true;
    }
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    rule->family = inet_pton(AF_INET, text, rule->address) == 1    ? AF_INET
                   : inet_pton(AF_INET6, text, rule->address) == 1 ? AF_INET6
                                                                   : -1;
    unsigned most = rule->family == AF_INET ? 32 : 128;
    rule->bits = most;
    if (slash != NULL) {
        char *end = NULL;
        unsigned long bits = strtoul(slash + 1, &end, 10);
        if (end == slash + 1 || *end != '\0' || bits > most) {
            return false;
        }
        rule->bits = (unsigned)bits;
    }
    return rule->family >= 0;
}

/* NULL: empty; *bad: not understood. */
static struct host_rule *
parse_line(struct arena *arena, char *line, bool *bad)
{
    char *words[6];
    int count = 0;
    char *rest = NULL;
    char *comment = strchr(line, '#');
    *bad = false;
    if (comment != NULL) {
        *comment = '\0';
    }
    for (char *word = strtok_r(line, " \t\r", &rest); word != NULL && count < 6;
         word = strtok_r(NULL, " \t\r", &rest)) {
        words[count++] = word;
    }
    if (count == 0) {
        return NULL;
    }
    struct host_rule *rule = arena_alloc(arena, sizeof *rule);
    *bad = count != 5 || strcmp(words[0], "host") != 0 || !parse_address(words[3], rule);
    if (*bad) {
        return NULL;
    }
    rule->databases = words[1];
    rule->users = words[2];
    rule->method = strcmp(words[4], "trust") == 0           ? AUTH_TRUST
                   : strcmp(words[4], "reject") == 0        ? AUTH_REJECT
                   : strcmp(words[4], "scram-sha-256") == 0 ? AUTH_SCRAM
                                                            : AUTH_NONE;
    *bad = rule->method == AUTH_NONE;
    return rule;
}

enum err
host_rules_read(struct task *task, const char *directory, struct host_rules *older,
    struct host_rules **rules_out, struct diag *diag)
{
    struct host_rules *rules = mem_zalloc(sizeof *rules);
    arena_create(&rules->arena, "host rules");
    char *path = arena_printf(&rules->arena, "%s/%s", directory, rules_file);
    struct buffer bytes = {0};
    enum err err = world_file_exists(task, path)
                       ? ERR_OK
                       : world_file_replace(task, directory, rules_file, default_rules,
                             sizeof default_rules - 1, diag);
    if (err == ERR_OK) {
        err = world_file_read_all(task, path, RULES_SIZE_MAX, &bytes, diag);
    }
    char *text =
        err == ERR_OK ? arena_strndup(&rules->arena, (const char *)bytes.data, bytes.size) : NULL;
    buffer_destroy(&bytes);
    struct host_rule **end = &rules->first;
    int number = 1;
    for (char *line = text; err == ERR_OK && line != NULL; number++) {
        char *next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        bool bad;
        struct host_rule *rule = parse_line(&rules->arena, line, &bad);
        if (bad) {
            err = diag_set(diag, ERR_CONFIG_FILE,
                "line %d of \"%s\" is not \"host DATABASE USER ADDRESS METHOD\"", number, path);
        } else if (rule != NULL) {
            *end = rule;
            end = &rule->next;
        }
        line = next;
    }
    if (err != ERR_OK) {
        host_rules_delete(rules);
        return err;
    }
    rules->older = older;
    *rules_out = rules;
    return ERR_OK;
}

void
host_rules_delete(struct host_rules *rules)
{
    while (rules != NULL) {
        struct host_rules *older = rules->older;
        arena_destroy(&rules->arena);
        mem_free(rules);
        rules = older;
    }
}

static bool
in_list(const char *list, const char *name)
{
    size_t size = strlen(name);
    if (strcmp(list, "all") == 0) {
        return true;
    }
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (strcspn(at, ",") == size && strncmp(at, name, size) == 0) {
            return true;
        }
    }
    return false;
}

static bool
in_network(const struct host_rule *rule, int family, const uint8_t *address)
{
    if (rule->family != AF_UNSPEC && rule->family != family) {
        return false;
    }
    for (unsigned bit = 0; rule->family != AF_UNSPEC && bit < rule->bits; bit++) {
        unsigned mask = 128U >> bit % 8;
        if (((rule->address[bit / 8] ^ address[bit / 8]) & mask) != 0) {
            return false;
        }
    }
    return true;
}

enum auth_method
host_rules_match(
    const struct host_rules *rules, const char *database, const char *user, const char *peer)
{
    char host[64];
    uint8_t address[16] = {0};
    const char *colon = strrchr(peer, ':');
    int size = colon == NULL ? (int)strlen(peer) : (int)(colon - peer);
    bool brackets = peer[0] == '[';
    (void)snprintf(
        host, sizeof host, "%.*s", brackets ? size - 2 : size, peer + (brackets ? 1 : 0));
    int family = inet_pton(AF_INET, host, address) == 1    ? AF_INET
                 : inet_pton(AF_INET6, host, address) == 1 ? AF_INET6
                                                           : AF_UNSPEC;
    for (const struct host_rule *rule = rules->first; rule != NULL; rule = rule->next) {
        if (in_list(rule->databases, database) && in_list(rule->users, user) &&
            in_network(rule, family, address)) {
            return rule->method;
        }
    }
    return AUTH_NONE;
}

/* ---- SCRAM ----------------------------------------------------------------------------------- */

static enum err
malformed(struct diag *diag, const char *detail)
{
    (void)diag_set(diag, ERR_PROTOCOL, "malformed SCRAM message");
    diag_detail(diag, "%s", detail);
    return ERR_PROTOCOL;
}

enum err
scram_begin(struct scram_exchange *exchange, const char *user, const char *verifier,
    const uint8_t secret[32], struct world *world, struct slice client_first, const char **answer,
    struct diag *diag)
{
    struct scram_verifier known = {.iterations = SCRAM_ITERATIONS, .salt_size = SCRAM_SALT_SIZE};
    char text[512];
    if (client_first.size == 0 || client_first.size >= sizeof text ||
        memchr(client_first.data, 0, client_first.size) != NULL) {
        return malformed(diag, "The message is empty or too long.");
    }
    memcpy(text, client_first.data, client_first.size);
    text[client_first.size] = '\0';
    if (text[0] == 'p') {
        return diag_set(
            diag, ERR_PROTOCOL, "client requires SCRAM channel binding, but it is not supported");
    }
    if ((text[0] != 'n' && text[0] != 'y') || text[1] != ',' || text[2] != ',') {
        return malformed(diag, "Expected \"n,,\" or \"y,,\" at its start.");
    }
    const char *bare = text + 3;
    const char *nonce = strstr(bare, ",r=");
    if (strncmp(bare, "n=", 2) != 0 || nonce == NULL || nonce[3] == '\0') {
        return malformed(diag, "Expected user name and nonce.");
    }
    nonce += 3;
    if (strcspn(nonce, ",") != strlen(nonce) || strlen(nonce) > 128) {
        return malformed(diag, "Unexpected attributes behind the nonce.");
    }
    exchange->known = verifier != NULL && scram_parse(verifier, &known);
    if (!exchange->known) {
        /* Looks like a user with a password, the same one each time. */
        uint8_t mock[32];
        scram_hmac(secret, user, strlen(user), mock);
        memcpy(known.salt, mock, SCRAM_SALT_SIZE);
        known.salt_size = SCRAM_SALT_SIZE;
        known.iterations = SCRAM_ITERATIONS;
    }
    memcpy(exchange->stored_key, known.stored_key, sizeof exchange->stored_key);
    memcpy(exchange->server_key, known.server_key, sizeof exchange->server_key);
    uint8_t random[18];
    char own[32], salt[128];
    world_random_bytes(world, random, sizeof random);
    (void)scram_base64(random, sizeof random, own);
    (void)scram_base64(known.salt, known.salt_size, salt);
    (void)snprintf(exchange->client_first_bare, sizeof exchange->client_first_bare, "%s", bare);
    (void)snprintf(exchange->nonce, sizeof exchange->nonce, "%s%s", nonce, own);
    (void)snprintf(exchange->server_first, sizeof exchange->server_first, "r=%s,s=%s,i=%u",
        exchange->nonce, salt, known.iterations);
    *answer = exchange->server_first;
    return ERR_OK;
}

enum err
scram_finish(struct scram_exchange *exchange, const char *user, struct slice client_final,
    char server_final[80], struct diag *diag)
{
    char text[512], whole[2048];
    if (client_final.size == 0 || client_final.size >= sizeof text ||
        memchr(client_final.data, 0, client_final.size) != NULL) {
        return malformed(diag, "The message is empty or too long.");
    }
    memcpy(text, client_final.data, client_final.size);
    text[client_final.size] = '\0';
    char *proof_text = strstr(text, ",p=");
    if (proof_text == NULL) {
        return malformed(diag, "Expected a proof.");
    }
    *proof_text = '\0';
    proof_text += 3;
    /* "n,," or "y,," in base64: there is no channel to bind to. */
    char expected[300];
    (void)snprintf(expected, sizeof expected, "c=biws,r=%s", exchange->nonce);
    bool nonce = strcmp(text, expected) == 0;
    (void)snprintf(expected, sizeof expected, "c=eSws,r=%s", exchange->nonce);
    if (!nonce && strcmp(text, expected) != 0) {
        return malformed(diag, "Channel binding or nonce does not match.");
    }
    uint8_t proof[SCRAM_KEY_SIZE], signature[SCRAM_KEY_SIZE], client[SCRAM_KEY_SIZE],
        stored[SCRAM_KEY_SIZE];
    size_t size = 0;
    if (!scram_unbase64(proof_text, strlen(proof_text), proof, sizeof proof, &size) ||
        size != sizeof proof) {
        return malformed(diag, "The proof is not base64.");
    }
    (void)snprintf(
        whole, sizeof whole, "%s,%s,%s", exchange->client_first_bare, exchange->server_first, text);
    scram_hmac(exchange->stored_key, whole, strlen(whole), signature);
    for (size_t i = 0; i < sizeof client; i++) {
        client[i] = proof[i] ^ signature[i];
    }
    scram_hash(client, sizeof client, stored);
    bool same = CRYPTO_memcmp(stored, exchange->stored_key, sizeof stored) == 0;
    if (!same || !exchange->known) {
        return diag_set(
            diag, ERR_INVALID_PASSWORD, "password authentication failed for user \"%s\"", user);
    }
    scram_hmac(exchange->server_key, whole, strlen(whole), signature);
    char base64[64];
    (void)scram_base64(signature, sizeof signature, base64);
    (void)snprintf(server_final, 80, "v=%s", base64);
    return ERR_OK;
}
