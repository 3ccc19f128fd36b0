/*
 * base/hash.h - hashes and checksums, by their libraries.
 *
 * hash64 is XXH3 (libxxhash): for our own tables, where nobody outside gains by choosing keys that
 * collide more than a bounded chain costs. crc32c is Castagnoli's polynomial as RFC 3720 has it,
 * without the final inversion (libisal's crc32_iscsi): for bytes on disk.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *bytes, size_t size, uint64_t seed);

/* XXH3's 128 bits, most significant byte first: for digests that are kept. */
enum {
    HASH128_SIZE = 16
};
void hash128(const void *bytes, size_t size, uint8_t digest[HASH128_SIZE]);

/* Chain by passing the last result; start with CRC32C_INIT. */
#define CRC32C_INIT 0xFFFFFFFFU
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

/* A 64-bit finaliser (murmur3's) for integers that index tables. */
static inline uint64_t
hash_u64(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}

#endif /* BASE_HASH_H */
