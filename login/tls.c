/* login/tls.c - an encrypted socket, if both sides want one. */
#include "login/login.h"
#include "wire/wire.h"

enum {
    PEM_SIZE_MAX = 1 << 20,
};

bool
login_tls_mode(const char *word, enum tls_mode *mode)
{
    static const char *const words[] = {
        [TLS_DISABLE] = "disable",
        [TLS_ALLOW] = "allow",
        [TLS_PREFER] = "prefer",
        [TLS_REQUIRE] = "require",
        [TLS_VERIFY_CA] = "verify-ca",
        [TLS_VERIFY_FULL] = "verify-full",
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            *mode = (enum tls_mode)i;
            return true;
        }
    }
    return false;
}

/* ---- files ----------------------------------------------------------------------------------- */

static enum err
read_root(
    struct task *task, enum tls_mode mode, const char *path, struct buffer *pem, struct diag *diag)
{
    bool there = path[0] != '\0' && world_file_exists(task, path);
    if (mode >= TLS_VERIFY_CA && !there) {
        (void)diag_set(
            diag, ERR_UNDEFINED_FILE, "root certificate file \"%s\" does not exist", path);
        diag_hint(diag, "Either provide the file or change sslmode to disable server certificate "
                        "verification.");
        return ERR_UNDEFINED_FILE;
    }
    /* With a root's file even sslmode=require verifies, as libpq does. */
    return there ? world_file_read_all(task, path, PEM_SIZE_MAX, pem, diag) : ERR_OK;
}

static enum err
read_key(struct task *task, const char *path, struct buffer *pem, struct diag *diag)
{
    struct world_file *file = NULL;
    TRY(world_file_open(task, path, WORLD_FILE_READ, &file, diag));
    bool private = world_file_private(task, file);
    world_file_close(task, file);
    if (!private) {
        return diag_set(
            diag, ERR_CONFIG_FILE, "private key file \"%s\" has group or world access", path);
    }
    return world_file_read_all(task, path, PEM_SIZE_MAX, pem, diag);
}

static enum err
load(struct task *task, enum tls_mode mode, const struct login_tls_files *files,
    struct buffer pems[3], struct world_tls **tls, struct diag *diag)
{
    TRY(read_root(task, mode, files->root, &pems[0], diag));
    if (files->certificate != NULL) {
        TRY(world_file_read_all(task, files->certificate, PEM_SIZE_MAX, &pems[1], diag));
        TRY(read_key(task, files->key, &pems[2], diag));
    }
    struct world_tls_options options = {
        .authorities = slice_of(pems[0].data, pems[0].size),
        .certificate = slice_of(pems[1].data, pems[1].size),
        .key = slice_of(pems[2].data, pems[2].size),
        .authorities_file = files->root,
        .certificate_file = files->certificate,
        .key_file = files->key,
    };
    return world_tls_new(&options, tls, diag);
}

enum err
login_tls_load(struct task *task, enum tls_mode mode, const struct login_tls_files *files,
    struct world_tls **tls, struct diag *diag)
{
    struct buffer pems[3] = {{0}, {0}, {0}};
    enum err err = load(task, mode, files, pems, tls, diag);
    for (int i = 0; i < 3; i++) {
        buffer_destroy(&pems[i]);
    }
    return err;
}

/* ---- sockets --------------------------------------------------------------------------------- */

/* Ask the server for encryption, and start it. *refused: it does not do that. */
static enum err
start_tls(struct task *task, const struct login_target *target, int64_t deadline_us,
    struct world_socket *socket, bool *refused, struct diag *diag)
{
    uint8_t request[8];
    char answer = 0;
    size_t got = 0;
    store_be32(request, sizeof request);
    store_be32(request + 4, WIRE_SSL_REQUEST);
    TRY(world_send(task, socket, request, sizeof request, diag));
    TRY(world_recv(
        task, socket, &answer, 1, deadline_us, TASK_CANCEL | TASK_TERMINATE, &got, diag));
    if (got == 0) {
        return diag_set(diag, ERR_CONNECTION_FAILURE, "server closed the connection unexpectedly");
    }
    *refused = answer == 'N';
    if (*refused) {
        return ERR_OK;
    }
    if (answer != 'S') {
        return diag_set(
            diag, ERR_PROTOCOL, "received invalid response to SSL negotiation: %c", answer);
    }
    return world_tls_start(task, socket, target->tls, target->host, target->mode == TLS_VERIFY_FULL,
        deadline_us, diag);
}

enum err
login_connect(struct task *task, const struct login_target *target, bool *encrypted,
    int64_t deadline_us, struct world_socket **socket, struct diag *diag)
{
    TRY(world_connect(task, target->host, target->port, socket, diag));
    if (!*encrypted) {
        return ERR_OK;
    }
    bool refused = false;
    bool needed = target->mode >= TLS_REQUIRE;
    enum err err = start_tls(task, target, deadline_us, *socket, &refused, diag);
    if (err == ERR_OK && refused && needed) {
        err = diag_set(
            diag, ERR_CONNECTION_FAILURE, "server does not support SSL, but SSL was required");
    }
    if (err == ERR_OK) {
        *encrypted = !refused;
        return ERR_OK;
    }
    world_socket_close(task, *socket);
    *socket = NULL;
    if (needed || err != ERR_CONNECTION_FAILURE) {
        return err;
    }
    *encrypted = false;
    return world_connect(task, target->host, target->port, socket, diag);
}

bool
login_encrypted_first(enum tls_mode mode)
{
    return mode >= TLS_PREFER;
}

bool
login_other_way(enum tls_mode mode, bool encrypted)
{
    return mode == TLS_ALLOW || (mode == TLS_PREFER && encrypted);
}
