/*
 * sql/value/network.c - inet and cidr: addresses of hosts and of networks.
 *
 * A value is these bytes, n being 4 or 16:
 *
 *     OFFSET  SIZE  DESCRIPTION
 *          0     1  family: 4 or 6
 *          1     n  the network: the address with 0 in all bits behind the mask
 *      n + 1     1  bits of the mask
 *      n + 2     n  the address; of a cidr the same as the network
 *
 * Their order byte by byte is PostgreSQL's order of addresses ("Network Address Types"): the
 * family, the bits that both masks cover, the shorter mask, the rest. So they are compared, hashed
 * and put into keys as bytes are.
 */
#include "sql/value/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

enum {
    V4 = 4,
    V6 = 6,
    ADDRESS_MAX = 16,
    TEXT_MAX = 64,
    WIRE_V4 = 2, /* PostgreSQL's PGSQL_AF_INET, and one more */
    WIRE_V6 = 3,
    WIRE_HEAD = 4,
};

struct network {
    uint8_t family;
    uint8_t size; /* of the address: 4 or 16 */
    uint8_t bits;
    uint8_t address[ADDRESS_MAX];
};

static uint8_t
size_of(uint8_t family)
{
    return family == V6 ? 16 : 4;
}

static struct network
open_network(struct datum value)
{
    struct network network = {.family = value.p[0] == V6 ? V6 : V4};
    network.size = size_of(network.family);
    ASSERT(value.size == 2U + 2U * network.size);
    network.bits = value.p[1 + network.size];
    memcpy(network.address, value.p + 2 + network.size, network.size);
    return network;
}

/* Of one byte of an address the bits that the mask covers. */
static uint8_t
mask_byte(const struct network *network, uint32_t at)
{
    int covered = network->bits - (int)at * 8;
    return (uint8_t)(covered >= 8 ? 0xFF : covered <= 0 ? 0 : 0xFF << (8 - covered));
}

static void
mask_address(struct network *network)
{
    for (uint32_t i = 0; i < network->size; i++) {
        network->address[i] &= mask_byte(network, i);
    }
}

static struct datum
make(struct eval *eval, const struct network *network)
{
    uint8_t *bytes = arena_alloc_raw(eval->arena, 2 + 2 * (size_t)network->size);
    bytes[0] = network->family;
    for (uint32_t i = 0; i < network->size; i++) {
        bytes[1 + i] = network->address[i] & mask_byte(network, i);
    }
    bytes[1 + network->size] = network->bits;
    memcpy(bytes + 2 + network->size, network->address, network->size);
    return datum_bytes(bytes, 2 + 2 * (size_t)network->size);
}

static bool
has_host_bits(const struct network *network)
{
    for (uint32_t i = 0; i < network->size; i++) {
        if ((network->address[i] & ~mask_byte(network, i)) != 0) {
            return true;
        }
    }
    return false;
}

/* ---- text and binary forms ------------------------------------------------------------------- */

/* A number of up to three digits. */
static bool
read_number(const char **text, int *number)
{
    const char *at = *text;
    *number = 0;
    while (*at >= '0' && *at <= '9' && at - *text < 3) {
        *number = *number * 10 + (*at++ - '0');
    }
    bool any = at > *text;
    *text = at;
    return any;
}

/* 1 to 4 numbers; what follows them is left. Returns how many, 0: they are wrong. */
static int
read_octets(const char **text, uint8_t *address)
{
    int octets = 0;
    for (;;) {
        int number;
        if (octets == 4 || !read_number(text, &number) || number > 255) {
            return 0;
        }
        address[octets++] = (uint8_t)number;
        if (**text != '.') {
            return octets;
        }
        (*text)++;
    }
}

/* The mask of a network given without one goes by its class, and covers what is written. */
static uint8_t
class_bits(const uint8_t *address, int octets)
{
    int bits = address[0] < 128   ? 8
               : address[0] < 192 ? 16
               : address[0] < 224 ? 24
               : address[0] < 240 ? 8
                                  : 32;
    bits = bits < octets * 8 ? octets * 8 : bits;
    return (uint8_t)(bits == 8 && address[0] == 224 ? 4 : bits);
}

static bool
read_v4(const char *text, bool cidr, struct network *network)
{
    int octets = read_octets(&text, network->address);
    int bits;
    if (octets == 0) {
        return false;
    }
    network->family = V4;
    network->size = 4;
    network->bits = cidr ? class_bits(network->address, octets) : 32;
    if (*text == '\0') {
        return cidr || octets == 4;
    }
    if (*text++ != '/' || !read_number(&text, &bits) || *text != '\0' || bits > 32) {
        return false;
    }
    network->bits = (uint8_t)bits;
    return true;
}

static bool
read_v6(char *text, struct network *network)
{
    int bits = 128;
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        const char *at = slash + 1;
        if (!read_number(&at, &bits) || *at != '\0' || bits > 128) {
            return false;
        }
        *slash = '\0';
    }
    network->family = V6;
    network->size = 16;
    network->bits = (uint8_t)bits;
    return inet_pton(AF_INET6, text, network->address) == 1;
}

enum err
network__input(struct eval *eval, oid_t type, struct slice text, struct datum *value)
{
    bool cidr = type == TYPE_CIDR;
    struct network network = {0};
    char plain[TEXT_MAX];
    bool fine = text.size < sizeof plain && memchr(text.data, '\0', text.size) == NULL;
    if (fine) {
        memcpy(plain, text.data, text.size);
        plain[text.size] = '\0';
        fine =
            strchr(plain, ':') != NULL ? read_v6(plain, &network) : read_v4(plain, cidr, &network);
    }
    if (!fine) {
        return value__invalid(eval, cidr ? "cidr" : "inet", text);
    }
    if (cidr && has_host_bits(&network)) {
        (void)diag_set(eval->diag, ERR_INVALID_TEXT, "invalid cidr value: \"%.*s\"", (int)text.size,
            (const char *)text.data);
        if (eval->diag != NULL) {
            diag_detail(eval->diag, "Value has bits set to right of mask.");
        }
        return ERR_INVALID_TEXT;
    }
    *value = make(eval, &network);
    return ERR_OK;
}

static void
put(const struct network *network, bool with_bits, struct buffer *to)
{
    char text[TEXT_MAX];
    const char *shown =
        inet_ntop(network->family == V6 ? AF_INET6 : AF_INET, network->address, text, sizeof text);
    ASSERT(shown != NULL);
    buffer_add_text(to, shown);
    if (with_bits) {
        buffer_printf(to, "/%u", network->bits);
    }
}

void
network__output(oid_t type, struct datum value, struct buffer *to)
{
    struct network network = open_network(value);
    put(&network, type == TYPE_CIDR || network.bits < network.size * 8, to);
}

enum err
network__receive(struct eval *eval, oid_t type, struct slice bytes, struct datum *value)
{
    const char *name = type == TYPE_CIDR ? "cidr" : "inet";
    const uint8_t *at = bytes.data;
    struct network network = {0};
    if (bytes.size < WIRE_HEAD || (at[0] != WIRE_V4 && at[0] != WIRE_V6)) {
        return diag_set(eval->diag, ERR_INVALID_BINARY,
            "invalid address family in external \"%s\" value", name);
    }
    network.family = at[0] == WIRE_V4 ? V4 : V6;
    network.size = size_of(network.family);
    network.bits = at[1];
    if (network.bits > network.size * 8) {
        return diag_set(
            eval->diag, ERR_INVALID_BINARY, "invalid bits in external \"%s\" value", name);
    }
    if (at[3] != network.size || bytes.size != (size_t)WIRE_HEAD + network.size) {
        return diag_set(
            eval->diag, ERR_INVALID_BINARY, "invalid length in external \"%s\" value", name);
    }
    memcpy(network.address, at + WIRE_HEAD, network.size);
    if (type == TYPE_CIDR && has_host_bits(&network)) {
        (void)diag_set(eval->diag, ERR_INVALID_BINARY, "invalid external \"cidr\" value");
        if (eval->diag != NULL) {
            diag_detail(eval->diag, "Value has bits set to right of mask.");
        }
        return ERR_INVALID_BINARY;
    }
    *value = make(eval, &network);
    return ERR_OK;
}

void
network__send(oid_t type, struct datum value, struct buffer *to)
{
    struct network network = open_network(value);
    buffer_add_u8(to, network.family == V4 ? WIRE_V4 : WIRE_V6);
    buffer_add_u8(to, network.bits);
    buffer_add_u8(to, type == TYPE_CIDR);
    buffer_add_u8(to, network.size);
    buffer_add(to, network.address, network.size);
}

/* ---- functions ------------------------------------------------------------------------------- */

static struct datum
shown(struct eval *eval, const struct network *network, bool with_bits)
{
    struct buffer to = {0};
    put(network, with_bits, &to);
    struct datum text = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return text;
}

FN(network_show)
{
    UNUSED_COUNT;
    struct network network = open_network(args[0]);
    *result = shown(eval, &network, true);
    return ERR_OK;
}

FN(network_host)
{
    UNUSED_COUNT;
    struct network network = open_network(args[0]);
    *result = shown(eval, &network, false);
    return ERR_OK;
}

FN(inet_abbrev)
{
    UNUSED_COUNT;
    struct network network = open_network(args[0]);
    *result = shown(eval, &network, network.bits < network.size * 8);
    return ERR_OK;
}

/* The 16-bit words that the mask reaches, two at the least, the longest run of zeros as "::"; an
 * IPv4 address behind it as one. */
static void
put_words(const struct network *network, struct buffer *to)
{
    uint32_t count = network->bits <= 32 ? 2 : (network->bits + 15U) / 16;
    uint32_t words[8] = {0};
    uint32_t run = 0;
    uint32_t run_size = 0;
    for (uint32_t i = 0; i < count; i++) {
        words[i] = (uint32_t)network->address[2 * i] << 8 | network->address[2 * i + 1];
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t zeros = 0;
        while (i + zeros < count && words[i + zeros] == 0) {
            zeros++;
        }
        if (zeros > run_size) {
            run = i;
            run_size = zeros;
        }
    }
    bool has_v4 = run == 0 && (run_size == 6 || (run_size == 5 && words[5] == 0xFFFF));
    for (uint32_t i = 0; i < count; i++) {
        if (run_size > 0 && i == run) {
            buffer_add_text(to, "::");
            i += run_size - 1;
            continue;
        }
        bool first = i == 0 || (run_size > 0 && i == run + run_size);
        if (has_v4 && i >= 6) {
            buffer_printf(to, "%s%u.%u",
                i == 7  ? "."
                : first ? ""
                        : ":",
                words[i] >> 8, words[i] & 0xFF);
        } else {
            buffer_printf(to, "%s%x", first ? "" : ":", words[i]);
        }
    }
}

/* Only the numbers that the mask reaches. */
FN(cidr_abbrev)
{
    UNUSED_COUNT;
    struct network network = open_network(args[0]);
    struct buffer to = {0};
    if (network.family == V6) {
        put_words(&network, &to);
    }
    for (uint32_t i = 0; network.family == V4 && (i == 0 || i * 8 < network.bits); i++) {
        buffer_printf(&to, "%s%u", i == 0 ? "" : ".", network.address[i]);
    }
    buffer_printf(&to, "/%u", network.bits);
    *result = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return ERR_OK;
}

FN(network_family)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_int(open_network(args[0]).family);
    return ERR_OK;
}

FN(network_masklen)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_int(open_network(args[0]).bits);
    return ERR_OK;
}

FN(network_broadcast)
{
    UNUSED_COUNT;
    struct network network = open_network(args[0]);
    for (uint32_t i = 0; i < network.size; i++) {
        network.address[i] |= (uint8_t)~mask_byte(&network, i);
    }
    *result = make(eval, &network);
    return ERR_OK;
}

FN(network_network)
{
    UNUSED_COUNT;
    struct network network = open_network(args[0]);
    mask_address(&network);
    *result = make(eval, &network);
    return ERR_OK;
}

FN(network_netmask)
{
    UNUSED_COUNT;
    struct network network = open_network(args[0]);
    for (uint32_t i = 0; i < network.size; i++) {
        network.address[i] = mask_byte(&network, i);
    }
    network.bits = (uint8_t)(network.size * 8);
    *result = make(eval, &network);
    return ERR_OK;
}

FN(network_hostmask)
{
    UNUSED_COUNT;
    struct network network = open_network(args[0]);
    for (uint32_t i = 0; i < network.size; i++) {
        network.address[i] = (uint8_t)~mask_byte(&network, i);
    }
    network.bits = (uint8_t)(network.size * 8);
    *result = make(eval, &network);
    return ERR_OK;
}

static enum err
set_masklen(struct eval *eval, const struct datum *args, bool cidr, struct datum *result)
{
    struct network network = open_network(args[0]);
    int64_t most = network.size * 8;
    int64_t bits = args[1].i == -1 ? most : args[1].i;
    if (bits < 0 || bits > most) {
        return diag_set(
            eval->diag, ERR_INVALID_PARAMETER_VALUE, "invalid mask length: %lld", (long long)bits);
    }
    network.bits = (uint8_t)bits;
    if (cidr) {
        mask_address(&network);
    }
    *result = make(eval, &network);
    return ERR_OK;
}

FN(inet_set_masklen)
{
    UNUSED_COUNT;
    return set_masklen(eval, args, false, result);
}

FN(cidr_set_masklen)
{
    UNUSED_COUNT;
    return set_masklen(eval, args, true, result);
}

FN(inet_same_family)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_bool(open_network(args[0]).family == open_network(args[1]).family);
    return ERR_OK;
}

/* Bits in which the addresses agree, `most` at the most. */
static uint8_t
common_bits(const struct network *a, const struct network *b, uint8_t most)
{
    uint8_t bits = 0;
    while (
        bits < most && ((a->address[bits / 8] ^ b->address[bits / 8]) >> (7 - bits % 8) & 1) == 0) {
        bits++;
    }
    return bits;
}

FN(inet_merge)
{
    UNUSED_COUNT;
    struct network a = open_network(args[0]);
    struct network b = open_network(args[1]);
    if (a.family != b.family) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "cannot merge addresses from different families");
    }
    a.bits = common_bits(&a, &b, a.bits < b.bits ? a.bits : b.bits);
    mask_address(&a);
    *result = make(eval, &a);
    return ERR_OK;
}

/* Does a's network hold b's, which is no larger? */
static bool
holds(const struct network *a, const struct network *b)
{
    return a->family == b->family && a->bits <= b->bits && common_bits(a, b, a->bits) == a->bits;
}

#define WITHIN(name, test)                        \
    FN(name)                                      \
    {                                             \
        (void)eval;                               \
        UNUSED_COUNT;                             \
        struct network a = open_network(args[0]); \
        struct network b = open_network(args[1]); \
        *result = datum_bool(test);               \
        return ERR_OK;                            \
    }
WITHIN(network_sub, a.bits > b.bits && holds(&b, &a))
WITHIN(network_subeq, holds(&b, &a))
WITHIN(network_sup, a.bits < b.bits && holds(&a, &b))
WITHIN(network_supeq, holds(&a, &b))
WITHIN(network_overlap, holds(&a, &b) || holds(&b, &a))

/* ---- bits and sums --------------------------------------------------------------------------- */

FN(inet_not)
{
    UNUSED_COUNT;
    struct network network = open_network(args[0]);
    for (uint32_t i = 0; i < network.size; i++) {
        network.address[i] = (uint8_t)~network.address[i];
    }
    *result = make(eval, &network);
    return ERR_OK;
}

static enum err
combine(struct eval *eval, const struct datum *args, bool with_or, struct datum *result)
{
    struct network a = open_network(args[0]);
    struct network b = open_network(args[1]);
    if (a.family != b.family) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "cannot %s inet values of different sizes", with_or ? "OR" : "AND");
    }
    for (uint32_t i = 0; i < a.size; i++) {
        a.address[i] = with_or ? a.address[i] | b.address[i] : a.address[i] & b.address[i];
    }
    a.bits = a.bits > b.bits ? a.bits : b.bits;
    *result = make(eval, &a);
    return ERR_OK;
}

FN(inet_and)
{
    UNUSED_COUNT;
    return combine(eval, args, false, result);
}

FN(inet_or)
{
    UNUSED_COUNT;
    return combine(eval, args, true, result);
}

static enum err
add(struct eval *eval, struct datum value, int64_t addend, struct datum *result)
{
    struct network network = open_network(value);
    __int128 carry = addend;
    for (uint32_t i = network.size; i-- > 0;) {
        carry += network.address[i];
        network.address[i] = (uint8_t)(carry & 0xFF);
        carry >>= 8;
    }
    if (carry != 0) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE, "result is out of range");
    }
    *result = make(eval, &network);
    return ERR_OK;
}

FN(inet_plus)
{
    UNUSED_COUNT;
    return add(eval, args[0], args[1].i, result);
}

FN(plus_inet)
{
    UNUSED_COUNT;
    return add(eval, args[1], args[0].i, result);
}

FN(inet_minus)
{
    UNUSED_COUNT;
    if (args[1].i == INT64_MIN) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE, "result is out of range");
    }
    return add(eval, args[0], -args[1].i, result);
}

FN(inet_difference)
{
    UNUSED_COUNT;
    struct network a = open_network(args[0]);
    struct network b = open_network(args[1]);
    if (a.family != b.family) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "cannot subtract inet values of different sizes");
    }
    __int128 difference = 0;
    for (uint32_t i = 0; i < a.size; i++) {
        __int128 most = (__int128)1 << 100;
        if (difference > most || difference < -most) {
            break; /* far out of range, and not coming back */
        }
        difference = difference * 256 + a.address[i] - b.address[i];
    }
    if (difference > INT64_MAX || difference < INT64_MIN) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE, "result is out of range");
    }
    *result = datum_int((int64_t)difference);
    return ERR_OK;
}

#define IN TYPE_INET
#define ONE(name, oid, result, arg, call)                                 \
    {                                                                     \
        name, oid, result, 1, 1, FUNCTION_STRICT, {arg}, call, NULL, NULL \
    }
#define TWO(name, oid, result, left, right, call)                                 \
    {                                                                             \
        name, oid, result, 2, 2, FUNCTION_STRICT, {left, right}, call, NULL, NULL \
    }

static const struct function functions[] = {
    ONE("abbrev", 598, TYPE_TEXT, IN, inet_abbrev),
    ONE("abbrev", 599, TYPE_TEXT, TYPE_CIDR, cidr_abbrev),
    ONE("broadcast", 698, IN, IN, network_broadcast),
    ONE("cidr", 1715, TYPE_CIDR, IN, network_network),
    ONE("family", 711, TYPE_INT4, IN, network_family),
    ONE("host", 699, TYPE_TEXT, IN, network_host),
    ONE("hostmask", 1362, IN, IN, network_hostmask),
    TWO("inet_merge", 4063, TYPE_CIDR, IN, IN, inet_merge),
    TWO("inet_same_family", 4071, TYPE_BOOL, IN, IN, inet_same_family),
    ONE("masklen", 697, TYPE_INT4, IN, network_masklen),
    ONE("netmask", 696, IN, IN, network_netmask),
    ONE("network", 683, TYPE_CIDR, IN, network_network),
    TWO("set_masklen", 605, IN, IN, TYPE_INT4, inet_set_masklen),
    TWO("set_masklen", 635, TYPE_CIDR, TYPE_CIDR, TYPE_INT4, cidr_set_masklen),
    ONE("text", 730, TYPE_TEXT, IN, network_show),
};

static const struct operator_row operators[] = {
    {"<<", "network_sub", IN, IN, TYPE_BOOL, network_sub, ">>", NULL, 0},
    {"<<=", "network_subeq", IN, IN, TYPE_BOOL, network_subeq, ">>=", NULL, 0},
    {">>", "network_sup", IN, IN, TYPE_BOOL, network_sup, "<<", NULL, 0},
    {">>=", "network_supeq", IN, IN, TYPE_BOOL, network_supeq, "<<=", NULL, 0},
    {"&&", "network_overlap", IN, IN, TYPE_BOOL, network_overlap, "&&", NULL, 0},
    {"~", "inetnot", 0, IN, IN, inet_not, NULL, NULL, 0},
    {"&", "inetand", IN, IN, IN, inet_and, NULL, NULL, 0},
    {"|", "inetor", IN, IN, IN, inet_or, NULL, NULL, 0},
    {"+", "inetpl", IN, TYPE_INT8, IN, inet_plus, "+", NULL, 0},
    {"+", "int8pl_inet", TYPE_INT8, IN, IN, plus_inet, "+", NULL, 0},
    {"-", "inetmi_int8", IN, TYPE_INT8, IN, inet_minus, NULL, NULL, 0},
    {"-", "inetmi", IN, IN, TYPE_INT8, inet_difference, NULL, NULL, 0},
};

static const struct cast_row casts[] = {
    {TYPE_CIDR, IN, CAST_IMPLICIT, NULL},
    {IN, TYPE_CIDR, CAST_ASSIGNMENT, network_network},
    {IN, TYPE_TEXT, CAST_ASSIGNMENT, network_show},
    {IN, TYPE_VARCHAR, CAST_ASSIGNMENT, network_show},
    {IN, TYPE_BPCHAR, CAST_ASSIGNMENT, network_show},
    {TYPE_CIDR, TYPE_TEXT, CAST_ASSIGNMENT, network_show},
    {TYPE_CIDR, TYPE_VARCHAR, CAST_ASSIGNMENT, network_show},
    {TYPE_CIDR, TYPE_BPCHAR, CAST_ASSIGNMENT, network_show},
};

const struct function_rows network_rows = {ROWS(functions), ROWS(operators), ROWS(casts)};
