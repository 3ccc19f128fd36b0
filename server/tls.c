#include "server/tls.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"

enum {
    PATH_SIZE_MAX = 4096,
    FILE_SIZE_MAX = 1 << 20,
};

struct pem {
    char path[PATH_SIZE_MAX];
    struct buffer text;
};

static void
pem_destroy(struct pem *pem)
{
    if (pem->text.data != NULL) {
        OPENSSL_cleanse(pem->text.data, pem->text.capacity);
    }
    buffer_destroy(&pem->text);
}

static enum err
pem_read(struct task *task, const char *directory, const char *name, const char *what,
    struct pem *pem, struct diag *diag)
{
    (void)snprintf(pem->path, sizeof pem->path, "%s%s%s", name[0] == '/' ? "" : directory,
        name[0] == '/' ? "" : "/", name);
    TRY(world_file_read_all(task, pem->path, FILE_SIZE_MAX, &pem->text, diag));
    if (pem->text.size == 0) {
        return diag_set(
            diag, ERR_CONFIG_FILE, "could not load %s file \"%s\": it is empty", what, pem->path);
    }
    return ERR_OK;
}

/* PostgreSQL's rule (18.9.2): a key that others may read is none. */
static enum err
check_key_file(struct task *task, const char *path, struct diag *diag)
{
    struct world_file *file = NULL;
    TRY(world_file_open(task, path, WORLD_FILE_READ, &file, diag));
    bool fine = world_file_private(task, file);
    world_file_close(task, file);
    if (fine) {
        return ERR_OK;
    }
    (void)diag_set(
        diag, ERR_CONFIG_FILE, "private key file \"%s\" has group or world access", path);
    diag_detail(diag, "File must have permissions u=rw (0600) or less if owned by the database "
                      "user, or permissions u=rw,g=r (0640) or less if owned by root.");
    return ERR_CONFIG_FILE;
}

static enum err
load(struct task *task, const char *directory, const struct sql_config *config, struct pem pems[3],
    struct world_tls **tls, struct diag *diag)
{
    const char *authorities = sql_config_text(config, "ssl_ca_file");
    TRY(pem_read(task, directory, sql_config_text(config, "ssl_cert_file"), "server certificate",
        &pems[0], diag));
    TRY(pem_read(
        task, directory, sql_config_text(config, "ssl_key_file"), "private key", &pems[1], diag));
    TRY(check_key_file(task, pems[1].path, diag));
    if (authorities[0] != '\0') {
        TRY(pem_read(task, directory, authorities, "root certificate", &pems[2], diag));
    }
    struct world_tls_options options = {
        .server = true,
        .certificate = slice_of(pems[0].text.data, pems[0].text.size),
        .key = slice_of(pems[1].text.data, pems[1].text.size),
        .authorities = slice_of(pems[2].text.data, pems[2].text.size),
        .certificate_file = pems[0].path,
        .key_file = pems[1].path,
        .authorities_file = pems[2].path,
        .version_min = sql_config_text(config, "ssl_min_protocol_version"),
        .version_max = sql_config_text(config, "ssl_max_protocol_version"),
        .ciphers = sql_config_text(config, "ssl_ciphers"),
    };
    return world_tls_new(&options, tls, diag);
}

enum err
server_tls_load(struct task *task, const char *directory, const struct sql_config *config,
    struct world_tls **tls, struct diag *diag)
{
    *tls = NULL;
    if (strcmp(sql_config_text(config, "ssl"), "on") != 0) {
        return ERR_OK;
    }
    struct pem *pems = mem_zalloc(3 * sizeof *pems);
    enum err err = load(task, directory, config, pems, tls, diag);
    for (int i = 0; i < 3; i++) {
        pem_destroy(&pems[i]);
    }
    mem_free(pems);
    return err;
}
