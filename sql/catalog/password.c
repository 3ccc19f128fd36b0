/* sql/catalog/password.c - SCRAM-SHA-256 verifiers (RFC 5802, 5803, 7677). */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sql/catalog/access.h"

static const char prefix[] = "SCRAM-SHA-256$";

void
scram_hmac(const uint8_t key[SCRAM_KEY_SIZE], const void *bytes, size_t size,
    uint8_t result[SCRAM_KEY_SIZE])
{
    unsigned written = 0;
    const uint8_t *made = HMAC(EVP_sha256(), key, SCRAM_KEY_SIZE, bytes, size, result, &written);
    ASSERT(made != NULL && written == SCRAM_KEY_SIZE);
}

void
scram_hash(const void *bytes, size_t size, uint8_t result[SCRAM_KEY_SIZE])
{
    unsigned written = 0;
    int done = EVP_Digest(bytes, size, result, &written, EVP_sha256(), NULL);
    ASSERT(done == 1 && written == SCRAM_KEY_SIZE);
}

size_t
scram_base64(const uint8_t *bytes, size_t size, char *to)
{
    return (size_t)EVP_EncodeBlock((unsigned char *)to, bytes, (int)size);
}

bool
scram_unbase64(const char *text, size_t size, uint8_t *to, size_t max, size_t *written)
{
    if (size % 4 != 0 || size / 4 * 3 > max + 2 || size == 0) {
        return false;
    }
    uint8_t own[3 * 128];
    if (size / 4 * 3 > sizeof own) {
        return false;
    }
    int got = EVP_DecodeBlock(own, (const unsigned char *)text, (int)size);
    if (got < 0) {
        return false;
    }
    size_t padding = text[size - 1] != '=' ? 0 : text[size - 2] != '=' ? 1 : 2;
    *written = (size_t)got - padding;
    if (*written > max) {
        return false;
    }
    memcpy(to, own, *written);
    return true;
}

void
scram_make(const char *password, const uint8_t *salt, size_t salt_size, uint32_t iterations,
    char text[SCRAM_VERIFIER_MAX])
{
    uint8_t salted[SCRAM_KEY_SIZE], client[SCRAM_KEY_SIZE], stored[SCRAM_KEY_SIZE],
        server[SCRAM_KEY_SIZE];
    int done = PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)salt_size,
        (int)iterations, EVP_sha256(), SCRAM_KEY_SIZE, salted);
    ASSERT(done == 1);
    scram_hmac(salted, "Client Key", strlen("Client Key"), client);
    scram_hash(client, sizeof client, stored);
    scram_hmac(salted, "Server Key", strlen("Server Key"), server);
    char salt_text[96], stored_text[64], server_text[64];
    ASSERT(salt_size <= 64);
    (void)scram_base64(salt, salt_size, salt_text);
    (void)scram_base64(stored, sizeof stored, stored_text);
    (void)scram_base64(server, sizeof server, server_text);
    (void)snprintf(text, SCRAM_VERIFIER_MAX, "%s%u:%s$%s:%s", prefix, iterations, salt_text,
        stored_text, server_text);
}

bool
scram_parse(const char *text, struct scram_verifier *verifier)
{
    if (strncmp(text, prefix, strlen(prefix)) != 0) {
        return false;
    }
    char *at = NULL;
    unsigned long iterations = strtoul(text + strlen(prefix), &at, 10);
    if (*at != ':' || iterations == 0 || iterations > 10000000) {
        return false;
    }
    const char *salt = at + 1;
    const char *stored = strchr(salt, '$');
    const char *server = stored == NULL ? NULL : strchr(stored, ':');
    size_t stored_size = 0, server_size = 0;
    verifier->iterations = (uint32_t)iterations;
    return server != NULL &&
           scram_unbase64(salt, (size_t)(stored - salt), verifier->salt, sizeof verifier->salt,
               &verifier->salt_size) &&
           scram_unbase64(stored + 1, (size_t)(server - stored - 1), verifier->stored_key,
               SCRAM_KEY_SIZE, &stored_size) &&
           scram_unbase64(server + 1, strlen(server + 1), verifier->server_key, SCRAM_KEY_SIZE,
               &server_size) &&
           stored_size == SCRAM_KEY_SIZE && server_size == SCRAM_KEY_SIZE;
}
