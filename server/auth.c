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
    bool plain, encrypted;         /* which connections it is about */
    const char *databases, *users; /* as written, without blanks */
    int family;
    uint8_t address[16];
    unsigned bits;
    struct host_decision decision;
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
    "#\n"
    "# hostssl is for encrypted connections only (setting ssl), hostnossl for the others; method "
    "cert\n"
    "# with hostssl takes a client certificate of the user's name (setting ssl_ca_file).\n"
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

static enum auth_method
method_of(const char *word)
{
    return strcmp(word, "trust") == 0           ? AUTH_TRUST
           : strcmp(word, "reject") == 0        ? AUTH_REJECT
           : strcmp(word, "scram-sha-256") == 0 ? AUTH_SCRAM
           : strcmp(word, "cert") == 0          ? AUTH_CERTIFICATE
                                                : AUTH_NONE;
}

/* NULL, or what cannot be understood. */
static const char *
parse_words(char *const *words, int count, struct host_rule *rule)
{
    bool any = strcmp(words[0], "host") == 0;
    rule->encrypted = any || strcmp(words[0], "hostssl") == 0;
    rule->plain = any || strcmp(words[0], "hostnossl") == 0;
    if ((!rule->encrypted && !rule->plain) || count < 5 || !parse_address(words[3], rule)) {
        return "is not \"host DATABASE USER ADDRESS METHOD\"";
    }
    rule->databases = words[1];
    rule->users = words[2];
    rule->decision.method = method_of(words[4]);
    if (rule->decision.method == AUTH_NONE) {
        return "has another method than trust, reject, scram-sha-256 and cert";
    }
    for (int i = 5; i < count; i++) {
        bool full = strcmp(words[i], "clientcert=verify-full") == 0;
        if (!full && strcmp(words[i], "clientcert=verify-ca") != 0) {
            return "has another option than clientcert=verify-ca and clientcert=verify-full";
        }
        rule->decision.certificate = full ? CERTIFICATE_NAMES_USER : CERTIFICATE_VALID;
    }
    if (rule->plain && count > 5) {
        return "has clientcert, which goes with hostssl only";
    }
    if (rule->decision.method == AUTH_CERTIFICATE) {
        if (rule->plain) {
            return "has the method cert, which goes with hostssl only";
        }
        rule->decision.certificate = CERTIFICATE_NAMES_USER;
    }
    return NULL;
}

/* NULL: empty, or *complaint says what cannot be understood. */
static struct host_rule *
parse_line(struct arena *arena, char *line, const char **complaint)
{
    enum {
        WORDS_MAX = 7
    };
    char *words[WORDS_MAX];
    int count = 0;
    char *rest = NULL;
    char *comment = strchr(line, '#');
    *complaint = NULL;
    if (comment != NULL) {
        *comment = '\0';
    }
    for (char *word = strtok_r(line, " \t\r", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " \t\r", &rest)) {
        words[count++] = word;
    }
    if (count == 0) {
        return NULL;
    }
    struct host_rule *rule = arena_alloc(arena, sizeof *rule);
    *complaint = parse_words(words, count, rule);
    return *complaint == NULL ? rule : NULL;
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
        const char *complaint;
        struct host_rule *rule = parse_line(&rules->arena, line, &complaint);
        if (complaint != NULL) {
            err = diag_set(diag, ERR_CONFIG_FILE, "line %d of \"%s\" %s", number, path, complaint);
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

struct host_decision
host_rules_match(const struct host_rules *rules, const char *database, const char *user,
    const char *peer, bool tls)
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
        if ((tls ? rule->encrypted : rule->plain) && in_list(rule->databases, database) &&
            in_list(rule->users, user) && in_network(rule, family, address)) {
            return rule->decision;
        }
    }
    return (struct host_decision){.method = AUTH_NONE};
}

/* ---- SCRAM ----------------------------------------------------------------------------------- */

static enum err
malformed(struct diag *diag, const char *detail)
{
    (void)diag_set(diag, ERR_PROTOCOL, "malformed SCRAM message");
    diag_detail(diag, "%s", detail);
    return ERR_PROTOCOL;
}

/* The message's head says whether the channel is bound (RFC 5802, 7): n no, y the client would,
 * p=... it is. *bare is what follows. */
static enum err
read_binding(struct scram_exchange *exchange, const struct scram_channel *channel, const char *text,
    const char **bare, struct diag *diag)
{
    static const char head[] = "p=tls-server-end-point,,";
    uint8_t bound[sizeof head + 64] = {0};
    if (text[0] == 'p') {
        if (!channel->chosen) {
            return malformed(diag, "The client selected SCRAM-SHA-256 without channel binding, but "
                                   "the SCRAM message includes channel binding data.");
        }
        if (strncmp(text, head, sizeof head - 1) != 0) {
            return diag_set(diag, ERR_PROTOCOL, "unsupported SCRAM channel-binding type");
        }
        *bare = text + sizeof head - 1;
        memcpy(bound, head, sizeof head - 1);
        memcpy(bound + sizeof head - 1, channel->hash.data, channel->hash.size);
        (void)scram_base64(bound, sizeof head - 1 + channel->hash.size, exchange->binding);
        return ERR_OK;
    }
    if ((text[0] != 'n' && text[0] != 'y') || text[1] != ',' || text[2] != ',') {
        return malformed(diag, "Expected \"n,,\" or \"y,,\" at its start.");
    }
    if (channel->chosen) {
        return malformed(diag, "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does "
                               "not include channel binding data.");
    }
    if (text[0] == 'y' && channel->offered) {
        /* Somebody between us has taken our offer away. */
        (void)diag_set(diag, ERR_INVALID_AUTHORIZATION, "SCRAM channel binding negotiation error");
        diag_detail(diag, "The client supports SCRAM channel binding but thinks the server does "
                          "not.  However, this server does support channel binding.");
        return ERR_INVALID_AUTHORIZATION;
    }
    *bare = text + 3;
    (void)scram_base64((const uint8_t *)text, 3, exchange->binding);
    return ERR_OK;
}

enum err
scram_begin(struct scram_exchange *exchange, const char *user, const char *verifier,
    const uint8_t secret[32], struct world *world, const struct scram_channel *channel,
    struct slice client_first, const char **answer, struct diag *diag)
{
    struct scram_verifier known = {.iterations = SCRAM_ITERATIONS, .salt_size = SCRAM_SALT_SIZE};
    char text[512];
    if (client_first.size == 0 || client_first.size >= sizeof text ||
        memchr(client_first.data, 0, client_first.size) != NULL) {
        return malformed(diag, "The message is empty or too long.");
    }
    memcpy(text, client_first.data, client_first.size);
    text[client_first.size] = '\0';
    const char *bare = NULL;
    TRY(read_binding(exchange, channel, text, &bare, diag));
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
    char expected[512];
    (void)snprintf(expected, sizeof expected, "c=%s,r=%s", exchange->binding, exchange->nonce);
    if (strcmp(text, expected) != 0) {
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
