/* Sockets with TLS, on both back ends: echo over workers, who is trusted, ends of streams.
 * ctest: threads */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/world_run.h"
#include "world/tls.h"

enum {
    CLIENTS = 6,
    ROUNDS = 10,
    LARGE = 50000, /* less than a pipe of the simulator holds: both ends send before they read */
};

struct pem {
    struct buffer certificate, key;
};

struct game {
    struct pem pem, stranger;
    struct world_listener *listener;
    struct world_tls *server, *client;
    struct task *main;
    _Atomic int clients_left, servers_left;
};

struct seat {
    struct game *game;
    struct world_socket *socket;
};

static void
take(BIO *bio, struct buffer *to)
{
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    buffer_add(to, text, (size_t)size);
    BIO_free(bio);
}

/* Signed by itself, for "localhost". */
static void
make_pem(struct pem *pem)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    ASSERT(key != NULL && X509_set_version(certificate, X509_VERSION_3) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 42);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    ASSERT(X509_sign(certificate, key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    take(bio, &pem->certificate);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    take(bio, &pem->key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static struct slice
whole(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->size);
}

static struct world_tls *
make_tls(bool server, const struct pem *own, const struct pem *trusted)
{
    struct world_tls_options options = {.server = server};
    struct world_tls *tls = NULL;
    struct diag diag;
    if (own != NULL) {
        options.certificate = whole(&own->certificate);
        options.key = whole(&own->key);
    }
    if (trusted != NULL) {
        options.authorities = whole(&trusted->certificate);
    }
    ASSERT(world_tls_new(&options, &tls, &diag) == ERR_OK);
    return tls;
}

static void
leave(_Atomic int *left, struct task *main)
{
    if (atomic_fetch_sub(left, 1) == 1) {
        task_unpark(main);
    }
}

static void
wait_zero(struct task *task, _Atomic int *count)
{
    while (atomic_load(count) > 0) {
        task_park(task, WORLD_NEVER);
    }
}

static void
echo_main(struct task *task, void *arg)
{
    struct seat seat = *(struct seat *)arg;
    mem_free(arg);
    char *bytes = mem_alloc(LARGE);
    struct diag diag;
    size_t size = 1;
    if (world_tls_start(task, seat.socket, seat.game->server, NULL, false, WORLD_NEVER, &diag) ==
        ERR_OK) {
        while (
            world_recv(task, seat.socket, bytes, LARGE, WORLD_NEVER, 0, &size, &diag) == ERR_OK &&
            size > 0 && world_send(task, seat.socket, bytes, size, &diag) == ERR_OK) {
        }
    }
    mem_free(bytes);
    world_socket_close(task, seat.socket);
    leave(&seat.game->servers_left, seat.game->main);
}

static void
accept_main(struct task *task, void *arg)
{
    struct game *game = arg;
    struct diag diag;
    struct world_socket *socket = NULL;
    while (world_accept(task, game->listener, &socket, NULL, &diag) == ERR_OK) {
        struct seat *seat = mem_alloc(sizeof *seat);
        *seat = (struct seat){game, socket};
        atomic_fetch_add(&game->servers_left, 1);
        ASSERT(task_spawn(task_world(task), WORLD_ANY_WORKER, "echo", echo_main, seat, &diag) ==
               ERR_OK);
    }
    leave(&game->servers_left, game->main);
}

static enum err
connect_with(struct task *task, struct game *game, struct world_tls *tls, const char *host,
    struct world_socket **socket, struct diag *diag)
{
    ASSERT(world_connect(task, "127.0.0.1", world_listener_port(game->listener), socket, diag) ==
           ERR_OK);
    return world_tls_start(task, *socket, tls, host, true, WORLD_NEVER, diag);
}

static void
exchange(struct task *task, struct world_socket *socket, uint8_t *bytes, size_t size)
{
    struct diag diag;
    uint8_t *got = mem_alloc(size);
    ASSERT(world_send(task, socket, bytes, size, &diag) == ERR_OK);
    for (size_t at = 0; at < size;) {
        size_t part = 0;
        ASSERT(
            world_recv(task, socket, got + at, size - at, WORLD_NEVER, 0, &part, &diag) == ERR_OK);
        ASSERT(part > 0);
        at += part;
    }
    ASSERT(memcmp(got, bytes, size) == 0);
    mem_free(got);
}

static void
client_main(struct task *task, void *arg)
{
    struct game *game = arg;
    struct diag diag;
    struct world_socket *socket = NULL;
    struct world_tls_info info;
    uint8_t *bytes = mem_alloc(LARGE);
    ASSERT(connect_with(task, game, game->client, "localhost", &socket, &diag) == ERR_OK);
    ASSERT(world_tls_info(socket, &info) && info.verified && strcmp(info.serial, "42") == 0);
    ASSERT(
        strcmp(info.common_name, "localhost") == 0 && strcmp(info.subject, "/CN=localhost") == 0);
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = i == 0 ? LARGE : (size_t)(1 + 997 * i);
        memset(bytes, i + 1, size);
        exchange(task, socket, bytes, size);
    }
    mem_free(bytes);
    world_socket_close(task, socket);
    leave(&game->clients_left, game->main);
}

/* A deadline and an end are what they are without TLS; a stranger and another host are refused. */
static void
one_by_one(struct task *task, struct game *game)
{
    struct diag diag;
    struct world_socket *socket = NULL;
    uint8_t byte = 1;
    size_t got = 0;
    uint8_t hash[64];
    ASSERT(connect_with(task, game, game->client, "localhost", &socket, &diag) == ERR_OK);
    ASSERT(world_tls_end_point(socket, hash) == 32);
    ASSERT(world_recv(task, socket, &byte, 1, world_clock_us(task_world(task)) + 1000, 0, &got,
               &diag) == ERR_IDLE_SESSION_TIMEOUT);
    exchange(task, socket, &byte, 1);
    world_socket_close(task, socket);

    ASSERT(connect_with(task, game, game->client, "elsewhere", &socket, &diag) ==
           ERR_CONNECTION_FAILURE);
    ASSERT(strstr(diag.message, "certificate verify failed") != NULL);
    world_socket_close(task, socket);

    struct world_tls *tls = make_tls(false, NULL, &game->stranger);
    ASSERT(connect_with(task, game, tls, "localhost", &socket, &diag) == ERR_CONNECTION_FAILURE);
    world_socket_close(task, socket);
    world_tls_release(tls);

    ASSERT(world_connect(task, "127.0.0.1", world_listener_port(game->listener), &socket, &diag) ==
           ERR_OK);
    struct world_tls_info info;
    ASSERT(!world_tls_info(socket, &info) && world_tls_end_point(socket, hash) == 0);
    ASSERT(world_send(task, socket, "this is no TLS at all", 21, &diag) == ERR_OK);
    while (world_recv(task, socket, &byte, 1, WORLD_NEVER, 0, &got, &diag) == ERR_OK && got > 0) {
    }
    world_socket_close(task, socket);
}

static void
test_all(struct task *task, void *arg)
{
    (void)arg;
    struct game game = {.main = task, .servers_left = 1, .clients_left = CLIENTS};
    struct diag diag;
    make_pem(&game.pem);
    make_pem(&game.stranger);
    game.server = make_tls(true, &game.pem, NULL);
    game.client = make_tls(false, NULL, &game.pem);
    ASSERT(world_listen(task, "127.0.0.1", 0, &game.listener, &diag) == ERR_OK);
    ASSERT(task_spawn(task_world(task), 0, "accept", accept_main, &game, &diag) == ERR_OK);
    task_yield(task);
    for (int i = 0; i < CLIENTS; i++) {
        ASSERT(task_spawn(task_world(task), WORLD_ANY_WORKER, "client", client_main, &game,
                   &diag) == ERR_OK);
    }
    wait_zero(task, &game.clients_left);
    one_by_one(task, &game);
    world_listener_close(task, game.listener);
    wait_zero(task, &game.servers_left);

    struct world_tls_options wrong = {.server = true,
        .certificate = whole(&game.pem.certificate),
        .key = whole(&game.stranger.key),
        .key_file = "key"};
    struct world_tls *tls = NULL;
    ASSERT(world_tls_new(&wrong, &tls, &diag) == ERR_CONFIG_FILE);
    wrong.key = slice_of("nonsense", 8);
    ASSERT(world_tls_new(&wrong, &tls, &diag) == ERR_CONFIG_FILE);
    wrong.certificate = slice_of("nonsense", 8);
    ASSERT(world_tls_new(&wrong, &tls, &diag) == ERR_CONFIG_FILE);
    world_tls_release(game.server);
    world_tls_release(game.client);
    buffer_destroy(&game.pem.certificate);
    buffer_destroy(&game.pem.key);
    buffer_destroy(&game.stranger.certificate);
    buffer_destroy(&game.stranger.key);
}

int
main(void)
{
    run_os(1, test_all, NULL);
    run_os(3, test_all, NULL);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        (void)run_sim(seed, test_all, NULL);
    }
    return 0;
}
