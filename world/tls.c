/*
 * world/tls.c - TLS between a socket's two ends and the bytes that cross it.
 *
 * A BIO of our own stands between OpenSSL and the world: it reads from `in` and writes to `out`,
 * and when `in` is empty says "again". So no call into OpenSSL sleeps, and its queue of errors,
 * which belongs to the thread, is read before another task runs (W12).
 */
#include "world/tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "world/world_internal.h"

enum {
    RECEIVE_SMALL = 1024,      /* asked for at first: an idle connection's share of memory */
    RECEIVE_LARGE = 32 * 1024, /* once that was full */
    WRITE_SIZE = 64 * 1024,    /* encrypted at a time */
    KEPT_SIZE = 8 * 1024,      /* larger buffers are given back when they are empty */
};

struct world_tls {
    _Atomic unsigned references;
    SSL_CTX *context;
    bool server;
};

struct tls_stream {
    SSL *ssl;
    struct buffer in; /* received, not yet decrypted: in.data[in_at..in.size) */
    size_t in_at;
    size_t receive_size;
    struct buffer out; /* encrypted, not yet sent */
    bool server;
};

/* ---- errors ---------------------------------------------------------------------------------- */

/* What OpenSSL says went wrong, or `otherwise`. Empties its queue. */
static const char *
reason(const char *otherwise)
{
    unsigned long code = ERR_peek_last_error();
    const char *words = code == 0 ? NULL : ERR_reason_error_string(code);
#ifdef ERR_SYSTEM_ERROR
    if (code != 0 && ERR_SYSTEM_ERROR(code)) {
        words = otherwise;
    }
#endif
    ERR_clear_error();
    return words != NULL ? words : otherwise;
}

/* ---- the BIO --------------------------------------------------------------------------------- */

static int
bio_read(BIO *bio, char *to, int size)
{
    struct tls_stream *stream = BIO_get_data(bio);
    size_t there = stream->in.size - stream->in_at;
    BIO_clear_retry_flags(bio);
    if (there == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t count = there < (size_t)size ? there : (size_t)size;
    memcpy(to, stream->in.data + stream->in_at, count);
    stream->in_at += count;
    return (int)count;
}

static int
bio_write(BIO *bio, const char *bytes, int size)
{
    struct tls_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    buffer_add(&stream->out, bytes, (size_t)size);
    return size;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* Made once and kept. */
static const BIO_METHOD *
bio_method(void)
{
    static BIO_METHOD *_Atomic kept;
    BIO_METHOD *method = atomic_load(&kept);
    if (method != NULL) {
        return method;
    }
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "world");
    ASSERT(method != NULL);
    (void)BIO_meth_set_read(method, bio_read);
    (void)BIO_meth_set_write(method, bio_write);
    (void)BIO_meth_set_ctrl(method, bio_ctrl);
    BIO_METHOD *expected = NULL;
    if (!atomic_compare_exchange_strong(&kept, &expected, method)) {
        BIO_meth_free(method);
        method = expected;
    }
    return method;
}

/* ---- what connections are made with ---------------------------------------------------------- */

static enum err
bad_file(struct diag *diag, const char *what, const char *file, const char *otherwise)
{
    return diag_set(diag, ERR_CONFIG_FILE, "could not load %s file \"%s\": %s", what,
        file == NULL ? "" : file, reason(otherwise));
}

/* Nobody is there to type one. */
static int
no_passphrase(char *to, int size, int writing, void *arg)
{
    (void)writing;
    (void)arg;
    if (size > 0) {
        to[0] = '\0';
    }
    return -1;
}

static enum err
use_certificate(SSL_CTX *context, const struct world_tls_options *options, struct diag *diag)
{
    BIO *bio = BIO_new_mem_buf(options->certificate.data, (int)options->certificate.size);
    X509 *own = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
    bool fine = own != NULL && SSL_CTX_use_certificate(context, own) == 1;
    X509_free(own);
    X509 *next = NULL;
    while (fine && (next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        fine = SSL_CTX_add0_chain_cert(context, next) == 1;
    }
    BIO_free(bio);
    if (fine) {
        ERR_clear_error(); /* "no start line": the file's end */
        return ERR_OK;
    }
    return bad_file(diag, options->server ? "server certificate" : "certificate",
        options->certificate_file, "no certificate in it");
}

static enum err
use_key(SSL_CTX *context, const struct world_tls_options *options, struct diag *diag)
{
    BIO *bio = BIO_new_mem_buf(options->key.data, (int)options->key.size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    bool fine = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 &&
                SSL_CTX_check_private_key(context) == 1; /* it is the certificate's */
    EVP_PKEY_free(key);
    BIO_free(bio);
    if (!fine) {
        return bad_file(diag, "private key", options->key_file, "no key in it");
    }
    return ERR_OK;
}

static enum err
use_authorities(SSL_CTX *context, const struct world_tls_options *options, struct diag *diag)
{
    BIO *bio = BIO_new_mem_buf(options->authorities.data, (int)options->authorities.size);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    int count = 0;
    bool fine = true;
    X509 *next = NULL;
    while (fine && (next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        fine = X509_STORE_add_cert(store, next) == 1 &&
               (!options->server || SSL_CTX_add_client_CA(context, next) == 1);
        X509_free(next);
        count++;
    }
    BIO_free(bio);
    if (!fine || count == 0) {
        return bad_file(
            diag, "root certificate", options->authorities_file, "no certificate in it");
    }
    ERR_clear_error();
    SSL_CTX_set_verify(context,
        options->server ? SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE : SSL_VERIFY_PEER, NULL);
    return ERR_OK;
}

static int
version_number(const char *name, int otherwise)
{
    static const struct {
        const char *name;
        int number;
    } versions[] = {{"TLSv1", TLS1_VERSION}, {"TLSv1.1", TLS1_1_VERSION},
        {"TLSv1.2", TLS1_2_VERSION}, {"TLSv1.3", TLS1_3_VERSION}};
    for (size_t i = 0; name != NULL && i < sizeof versions / sizeof versions[0]; i++) {
        if (strcmp(name, versions[i].name) == 0) {
            return versions[i].number;
        }
    }
    return otherwise;
}

static enum err
fill_context(SSL_CTX *context, const struct world_tls_options *options, struct diag *diag)
{
    int version_min = version_number(options->version_min, TLS1_2_VERSION);
    int version_max = version_number(options->version_max, 0);
    if ((version_max != 0 && version_max < version_min) ||
        SSL_CTX_set_min_proto_version(context, version_min) != 1 ||
        SSL_CTX_set_max_proto_version(context, version_max) != 1) {
        ERR_clear_error();
        return diag_set(diag, ERR_CONFIG_FILE,
            "the range of TLS versions (\"%s\" to \"%s\") is not possible", options->version_min,
            options->version_max == NULL ? "" : options->version_max);
    }
    /* Connections last: what saves a second handshake would only be kept for nothing. */
    (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_SINGLE_ECDH_USE);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (options->ciphers != NULL && options->ciphers[0] != '\0' &&
        SSL_CTX_set_cipher_list(context, options->ciphers) != 1) {
        return diag_set(diag, ERR_CONFIG_FILE, "could not set the list of ciphers \"%s\": %s",
            options->ciphers, reason("none is known"));
    }
    if (options->certificate.size > 0) {
        TRY(use_certificate(context, options, diag));
        TRY(use_key(context, options, diag));
    }
    return options->authorities.size > 0 ? use_authorities(context, options, diag) : ERR_OK;
}

enum err
world_tls_new(
    const struct world_tls_options *options, struct world_tls **tls_out, struct diag *diag)
{
    ASSERT(!options->server || options->certificate.data != NULL);
    SSL_CTX *context = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    if (context == NULL) {
        return diag_set(diag, ERR_LIMIT, "could not start TLS: %s", reason("out of memory"));
    }
    enum err err = fill_context(context, options, diag);
    if (err != ERR_OK) {
        SSL_CTX_free(context);
        return err;
    }
    struct world_tls *tls = mem_zalloc(sizeof *tls);
    tls->references = 1;
    tls->context = context;
    tls->server = options->server;
    *tls_out = tls;
    return ERR_OK;
}

struct world_tls *
world_tls_retain(struct world_tls *tls)
{
    if (tls != NULL) {
        tls->references++;
    }
    return tls;
}

void
world_tls_release(struct world_tls *tls)
{
    if (tls != NULL && --tls->references == 0) {
        SSL_CTX_free(tls->context);
        mem_free(tls);
    }
}

/* ---- a stream -------------------------------------------------------------------------------- */

static enum err
send_out(struct task *task, struct world_socket *socket, struct diag *diag)
{
    struct buffer *out = &socket->tls->out;
    if (out->size == 0) {
        return ERR_OK;
    }
    enum err err = task_world(task)->backend->send(task, socket, out->data, out->size, diag);
    out->size = 0;
    if (out->capacity > KEPT_SIZE) {
        buffer_destroy(out);
    }
    return err;
}

/* More of what the other side sent. *ended: there is no more. */
static enum err
receive_in(struct task *task, struct world_socket *socket, int64_t deadline_us, int obey,
    bool *ended, struct diag *diag)
{
    struct tls_stream *stream = socket->tls;
    struct buffer *in = &stream->in;
    if (stream->in_at > 0) {
        buffer_consume(in, stream->in_at);
        stream->in_at = 0;
    }
    if (in->size == 0 && in->capacity > KEPT_SIZE && stream->receive_size == RECEIVE_SMALL) {
        buffer_destroy(in);
    }
    uint8_t *to = buffer_reserve(in, stream->receive_size);
    size_t got = 0;
    TRY(task_world(task)->backend->recv(
        task, socket, to, stream->receive_size, deadline_us, obey, &got, diag));
    stream->receive_size = got == stream->receive_size ? RECEIVE_LARGE : RECEIVE_SMALL;
    in->size += got;
    *ended = got == 0;
    return ERR_OK;
}

static enum err
failed(struct task *task, struct world_socket *socket, const char *what, const char *otherwise,
    struct diag *diag)
{
    long verified = SSL_get_verify_result(socket->tls->ssl);
    const char *words = reason(otherwise);
    if (verified != X509_V_OK) {
        (void)diag_set(diag, ERR_CONNECTION_FAILURE, "%s: %s: %s", what, words,
            X509_verify_cert_error_string(verified));
    } else {
        (void)diag_set(diag, ERR_CONNECTION_FAILURE, "%s: %s", what, words);
    }
    struct diag ignored; /* the alert that tells the other side why */
    (void)send_out(task, socket, &ignored);
    return ERR_CONNECTION_FAILURE;
}

enum err
tls__recv(struct task *task, struct world_socket *socket, void *bytes, size_t size,
    int64_t deadline_us, int obey, size_t *size_read, struct diag *diag)
{
    bool ended = false;
    while (!ended) {
        ERR_clear_error();
        int result = SSL_read_ex(socket->tls->ssl, bytes, size, size_read);
        if (result == 1) {
            return ERR_OK;
        }
        int why = SSL_get_error(socket->tls->ssl, result);
        if (why == SSL_ERROR_ZERO_RETURN) {
            break;
        }
        if (why != SSL_ERROR_WANT_READ) {
            return failed(task, socket, "SSL error", "the stream is broken", diag);
        }
        TRY(send_out(task, socket, diag)); /* an answer to a change of keys */
        TRY(receive_in(task, socket, deadline_us, obey, &ended, diag));
    }
    *size_read = 0;
    return ERR_OK;
}

enum err
tls__send(struct task *task, struct world_socket *socket, const void *bytes, size_t size,
    struct diag *diag)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        size_t piece = size < WRITE_SIZE ? size : WRITE_SIZE;
        size_t put = 0;
        ERR_clear_error();
        if (SSL_write_ex(socket->tls->ssl, at, piece, &put) != 1) {
            return failed(task, socket, "SSL error", "the stream is broken", diag);
        }
        TRY(send_out(task, socket, diag));
        at += put;
        size -= put;
    }
    return ERR_OK;
}

static void
stream_delete(struct tls_stream *stream)
{
    SSL_free(stream->ssl);
    buffer_destroy(&stream->in);
    buffer_destroy(&stream->out);
    mem_free(stream);
}

void
tls__close(struct task *task, struct world_socket *socket)
{
    struct tls_stream *stream = socket->tls;
    ERR_clear_error();
    if (SSL_is_init_finished(stream->ssl) && SSL_shutdown(stream->ssl) >= 0) {
        /* Who does not read need not hear it: an interrupt bounds our patience. */
        struct diag ignored;
        bool pending = (atomic_load(&task->interrupts) & TASK_CANCEL) != 0;
        task_interrupt(task, TASK_CANCEL);
        (void)send_out(task, socket, &ignored);
        if (!pending) {
            task_interrupt_clear(task, TASK_CANCEL);
        }
    }
    ERR_clear_error();
    socket->tls = NULL;
    stream_delete(stream);
}

static void
expect_host(SSL *ssl, const char *host, bool verify)
{
    uint8_t address[16];
    bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    if (!is_address) {
        char *name = mem_strdup(host); /* the macro takes const away */
        (void)SSL_set_tlsext_host_name(ssl, name);
        mem_free(name);
    }
    if (verify && is_address) {
        (void)X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    } else if (verify) {
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        (void)SSL_set1_host(ssl, host);
    }
}

static struct tls_stream *
stream_new(struct world_tls *tls)
{
    SSL *ssl = SSL_new(tls->context);
    BIO *bio = ssl == NULL ? NULL : BIO_new(bio_method());
    if (bio == NULL) {
        SSL_free(ssl);
        return NULL;
    }
    struct tls_stream *stream = mem_zalloc(sizeof *stream);
    stream->ssl = ssl;
    stream->server = tls->server;
    stream->receive_size = RECEIVE_SMALL;
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (tls->server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    return stream;
}

enum err
world_tls_start(struct task *task, struct world_socket *socket, struct world_tls *tls,
    const char *host, bool verify_host, int64_t deadline_us, struct diag *diag)
{
    ASSERT(socket->tls == NULL);
    ERR_clear_error();
    struct tls_stream *stream = stream_new(tls);
    if (stream == NULL) {
        return diag_set(diag, ERR_LIMIT, "could not start TLS: %s", reason("out of memory"));
    }
    socket->tls = stream;
    if (host != NULL) {
        expect_host(stream->ssl, host, verify_host);
    }
    const char *what = tls->server ? "could not accept SSL connection" : "SSL error";
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(stream->ssl);
        int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(stream->ssl, result);
        if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ) {
            return failed(task, socket, what, "the handshake failed", diag);
        }
        TRY(send_out(task, socket, diag));
        if (why == SSL_ERROR_NONE) {
            return ERR_OK;
        }
        bool ended = false;
        TRY(receive_in(task, socket, deadline_us, TASK_TERMINATE | TASK_CANCEL, &ended, diag));
        if (ended) {
            return diag_set(diag, ERR_CONNECTION_FAILURE, "%s: EOF detected", what);
        }
    }
}

/* ---- what was agreed ------------------------------------------------------------------------- */

/* "/O=x/CN=y"; "" if it does not fit or could be read as something else. */
static void
write_name(const X509_NAME *name, char to[WORLD_TLS_NAME_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int count = X509_NAME_entry_count(name);
    for (int i = 0; i < count; i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
        const char *field = nid == NID_undef ? NULL : OBJ_nid2sn(nid);
        (void)BIO_printf(bio, "/%s=", field == NULL ? "UNKNOWN" : field);
        (void)ASN1_STRING_print_ex(bio, X509_NAME_ENTRY_get_data(entry),
            (ASN1_STRFLGS_RFC2253 & (unsigned long)~ASN1_STRFLGS_ESC_MSB) |
                ASN1_STRFLGS_UTF8_CONVERT);
    }
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    bool fits = size > 0 && size < WORLD_TLS_NAME_MAX;
    if (fits) {
        memcpy(to, text, (size_t)size);
    }
    to[fits ? size : 0] = '\0';
    BIO_free(bio);
}

/* A NUL in the middle could make one name look like another (CVE-2009-4034): then there is none. */
static void
write_common_name(X509 *certificate, char to[WORLD_TLS_NAME_MAX])
{
    int size = X509_NAME_get_text_by_NID(
        X509_get_subject_name(certificate), NID_commonName, to, WORLD_TLS_NAME_MAX);
    if (size < 0 || size >= WORLD_TLS_NAME_MAX - 1 || strlen(to) != (size_t)size) {
        to[0] = '\0';
    }
}

static void
write_serial(X509 *certificate, char *to, size_t size)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get_serialNumber(certificate), NULL);
    char *text = number == NULL ? NULL : BN_bn2dec(number);
    (void)snprintf(to, size, "%s", text == NULL ? "" : text);
    OPENSSL_free(text);
    BN_free(number);
}

bool
world_tls_info(const struct world_socket *socket, struct world_tls_info *info)
{
    memset(info, 0, sizeof *info);
    if (socket->tls == NULL) {
        return false;
    }
    const SSL *ssl = socket->tls->ssl;
    (void)snprintf(info->version, sizeof info->version, "%s", SSL_get_version(ssl));
    (void)snprintf(info->cipher, sizeof info->cipher, "%s", SSL_get_cipher_name(ssl));
    (void)SSL_get_cipher_bits(ssl, &info->bits);
    X509 *other = SSL_get0_peer_certificate(ssl);
    if (other != NULL) {
        info->verified =
            SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && SSL_get_verify_result(ssl) == X509_V_OK;
        write_common_name(other, info->common_name);
        write_name(X509_get_subject_name(other), info->subject);
        write_name(X509_get_issuer_name(other), info->issuer);
        write_serial(other, info->serial, sizeof info->serial);
    }
    ERR_clear_error();
    return true;
}

size_t
world_tls_end_point(const struct world_socket *socket, uint8_t hash[64])
{
    if (socket->tls == NULL) {
        return 0;
    }
    const SSL *ssl = socket->tls->ssl;
    X509 *certificate =
        socket->tls->server ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    int digest = NID_undef;
    if (certificate == NULL ||
        OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest, NULL) != 1) {
        ERR_clear_error();
        return 0;
    }
    /* RFC 5929, 4.1: the old ones are SHA-256 here. */
    const EVP_MD *method =
        digest == NID_md5 || digest == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(digest);
    unsigned size = 0;
    bool fine = method != NULL && EVP_MD_get_size(method) <= 64 &&
                X509_digest(certificate, method, hash, &size) == 1;
    ERR_clear_error();
    return fine ? size : 0;
}
