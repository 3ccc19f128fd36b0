/* login/login.c - answers to a server that asks who we are. */
#include "login/login.h"

#include <openssl/crypto.h>

#include "base/mem.h"
#include "wire/wire.h"

enum {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12,
};

static void
put_password(struct buffer *out, const void *bytes, size_t size, bool terminate)
{
    size_t start = wire_begin(out, 'p');
    buffer_add(out, bytes, size);
    if (terminate) {
        buffer_add_u8(out, 0);
    }
    wire_end(out, start);
}

void
login_forget_password(char *password)
{
    if (password != NULL) {
        OPENSSL_cleanse(password, strlen(password));
    }
    mem_free(password);
}

static enum err
ask_password(struct login *login, char **password, struct diag *diag)
{
    *password = NULL;
    TRY(login->password(login->arg, password, diag));
    return *password != NULL ? ERR_OK
                             : diag_set(diag, ERR_INVALID_PASSWORD, "no password supplied");
}

static enum err
begin_scram(struct login *login, struct task *task, const struct world_socket *socket,
    struct wire_reader *reader, struct buffer *answer, struct diag *diag)
{
    struct login_scram *scram = &login->scram;
    bool offered = false;
    bool offered_plus = false;
    for (const char *name = wire_get_text(reader); name[0] != '\0'; name = wire_get_text(reader)) {
        offered = offered || strcmp(name, SCRAM_MECHANISM) == 0;
        offered_plus = offered_plus || strcmp(name, SCRAM_MECHANISM_PLUS) == 0;
    }
    if (!offered) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "the server asks for an authentication that is not " SCRAM_MECHANISM);
    }
    char *password = NULL;
    TRY(ask_password(login, &password, diag));
    uint8_t nonce[18];
    uint8_t hash[64];
    size_t hash_size = world_tls_end_point(socket, hash);
    bool bind = offered_plus && hash_size > 0;
    world_random_bytes(task_world(task), nonce, sizeof nonce);
    login_scram_begin(scram, password, nonce, sizeof nonce,
        bind            ? SCRAM_BOUND
        : hash_size > 0 ? SCRAM_COULD_BE_BOUND
                        : SCRAM_UNBOUND,
        slice_of(hash, hash_size));
    login_forget_password(password);
    wire_put_text(answer, bind ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM);
    buffer_add_be32(answer, (uint32_t)strlen(scram->client_first));
    buffer_add_text(answer, scram->client_first);
    return ERR_OK;
}

static enum err
answer_sasl(struct login *login, struct task *task, const struct world_socket *socket,
    uint32_t code, struct wire_reader *reader, struct buffer *out, struct diag *diag)
{
    size_t size = (size_t)(reader->end - reader->at);
    const char *text = (const char *)reader->at;
    if (code == AUTH_SASL_FINAL) {
        return login_scram_finish(&login->scram, text, size, diag);
    }
    struct buffer answer = {0};
    enum err err = code == AUTH_SASL
                       ? begin_scram(login, task, socket, reader, &answer, diag)
                       : login_scram_continue(&login->scram, text, size, &answer, diag);
    if (err == ERR_OK) {
        put_password(out, answer.data, answer.size, false);
    }
    buffer_destroy(&answer);
    return err;
}

enum err
login_answer(struct login *login, struct task *task, const struct world_socket *socket,
    struct slice body, struct buffer *out, struct diag *diag)
{
    struct wire_reader reader = wire_reader_of(body);
    uint32_t code = wire_get_u32(&reader);
    char *password = NULL;
    switch (code) {
    case AUTH_OK:
        login->authenticated = true;
        return ERR_OK;
    case AUTH_CLEARTEXT:
        TRY(ask_password(login, &password, diag));
        put_password(out, password, strlen(password), true);
        login_forget_password(password);
        return ERR_OK;
    case AUTH_SASL:
    case AUTH_SASL_CONTINUE:
    case AUTH_SASL_FINAL:
        return answer_sasl(login, task, socket, code, &reader, out, diag);
    default:
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "authentication method %u of the server is not supported", code);
    }
}

void
login_destroy(struct login *login)
{
    login_scram_destroy(&login->scram);
}
