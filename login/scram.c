#include "login/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    SALT_MAX = 256,
    ITERATIONS_MAX = 10000000,
};

static void
encode(char *to, const uint8_t *bytes, size_t size)
{
    (void)EVP_EncodeBlock((unsigned char *)to, bytes, (int)size);
}

/* Base64 to bytes; false if it is none, or too long. */
static bool
decode(const char *text, size_t size, uint8_t *to, size_t capacity, size_t *decoded)
{
    if (size == 0 || size % 4 != 0 || size / 4 * 3 > capacity) {
        return false;
    }
    int count = EVP_DecodeBlock(to, (const unsigned char *)text, (int)size);
    if (count < 0) {
        return false;
    }
    *decoded = (size_t)count - (text[size - 1] == '=') - (text[size - 2] == '=');
    return true;
}

static void
hmac(const uint8_t *key, const char *text, uint8_t *to)
{
    unsigned size = SCRAM_KEY_SIZE;
    const void *done = HMAC(
        EVP_sha256(), key, SCRAM_KEY_SIZE, (const unsigned char *)text, strlen(text), to, &size);
    ASSERT(done != NULL && size == SCRAM_KEY_SIZE);
}

/* The value of attribute `name=` in a message. */
static bool
attribute(const char *text, size_t size, char name, const char **value, size_t *value_size)
{
    for (size_t at = 0; at + 2 <= size;) {
        const char *comma = memchr(text + at, ',', size - at);
        size_t end = comma == NULL ? size : (size_t)(comma - text);
        if (text[at] == name && text[at + 1] == '=') {
            *value = text + at + 2;
            *value_size = end - at - 2;
            return true;
        }
        at = end + 1;
    }
    return false;
}

static enum err
malformed(struct diag *diag)
{
    return diag_set(diag, ERR_PROTOCOL, "malformed SCRAM message from the server");
}

void
login_scram_begin(struct login_scram *scram, const char *password, const uint8_t *nonce,
    size_t size, enum scram_binding binding, struct slice channel)
{
    static const char *const heads[] = {
        [SCRAM_UNBOUND] = "n,,",
        [SCRAM_COULD_BE_BOUND] = "y,,",
        [SCRAM_BOUND] = "p=tls-server-end-point,,",
    };
    uint8_t bound[32 + 64];
    size_t head_size = strlen(heads[binding]);
    size_t hash_size = binding == SCRAM_BOUND ? channel.size : 0;
    ASSERT(size <= 30 && hash_size <= 64);
    (void)snprintf(scram->password, sizeof scram->password, "%s", password);
    encode(scram->nonce, nonce, size);
    scram->head_size = head_size;
    (void)snprintf(
        scram->client_first, sizeof scram->client_first, "%sn=,r=%s", heads[binding], scram->nonce);
    memcpy(bound, heads[binding], head_size);
    if (hash_size > 0) {
        memcpy(bound + head_size, channel.data, hash_size);
    }
    encode(scram->binding, bound, head_size + hash_size);
}

enum err
login_scram_continue(struct login_scram *scram, const char *text, size_t size,
    struct buffer *answer, struct diag *diag)
{
    const char *nonce;
    const char *salt_text;
    const char *count_text;
    size_t nonce_size;
    size_t salt_text_size;
    size_t count_size;
    size_t salt_size;
    uint8_t salt[SALT_MAX];
    size_t own_size = strlen(scram->nonce);
    if (!attribute(text, size, 'r', &nonce, &nonce_size) ||
        !attribute(text, size, 's', &salt_text, &salt_text_size) ||
        !attribute(text, size, 'i', &count_text, &count_size) || nonce_size <= own_size ||
        memcmp(nonce, scram->nonce, own_size) != 0 || count_size > 9 ||
        !decode(salt_text, salt_text_size, salt, sizeof salt, &salt_size)) {
        return malformed(diag);
    }
    char number[16] = "";
    memcpy(number, count_text, count_size);
    long iterations = strtol(number, NULL, 10);
    if (iterations < 1 || iterations > ITERATIONS_MAX) {
        return malformed(diag);
    }

    uint8_t salted[SCRAM_KEY_SIZE];
    uint8_t client_key[SCRAM_KEY_SIZE];
    uint8_t server_key[SCRAM_KEY_SIZE];
    uint8_t stored_key[SCRAM_KEY_SIZE];
    uint8_t proof[SCRAM_KEY_SIZE];
    char proof_text[64];
    int ok = PKCS5_PBKDF2_HMAC(scram->password, (int)strlen(scram->password), salt, (int)salt_size,
        (int)iterations, EVP_sha256(), sizeof salted, salted);
    ASSERT(ok == 1);
    hmac(salted, "Client Key", client_key);
    hmac(salted, "Server Key", server_key);
    (void)SHA256(client_key, sizeof client_key, stored_key);

    /* AuthMessage = client-first-bare , server-first , client-final-without-proof */
    struct buffer message = {0};
    buffer_printf(&message, "%s,%.*s,c=%s,r=%.*s", scram->client_first + scram->head_size,
        (int)size, text, scram->binding, (int)nonce_size, nonce);
    buffer_add_u8(&message, 0);
    hmac(stored_key, (const char *)message.data, proof);
    hmac(server_key, (const char *)message.data, scram->server_signature);
    buffer_destroy(&message);
    for (size_t i = 0; i < sizeof proof; i++) {
        proof[i] ^= client_key[i];
    }
    encode(proof_text, proof, sizeof proof);
    buffer_printf(answer, "c=%s,r=%.*s,p=%s", scram->binding, (int)nonce_size, nonce, proof_text);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
    return ERR_OK;
}

enum err
login_scram_finish(struct login_scram *scram, const char *text, size_t size, struct diag *diag)
{
    const char *value;
    size_t value_size;
    size_t signature_size;
    uint8_t signature[SCRAM_KEY_SIZE + 4];
    if (!attribute(text, size, 'v', &value, &value_size) ||
        !decode(value, value_size, signature, sizeof signature, &signature_size)) {
        return malformed(diag);
    }
    if (signature_size != SCRAM_KEY_SIZE ||
        CRYPTO_memcmp(signature, scram->server_signature, SCRAM_KEY_SIZE) != 0) {
        return diag_set(
            diag, ERR_INVALID_PASSWORD, "the server does not know the password: it is not the one");
    }
    return ERR_OK;
}

void
login_scram_destroy(struct login_scram *scram)
{
    OPENSSL_cleanse(scram, sizeof *scram);
}
