#include "base/hash.h"

#include <isa-l/crc.h>
#include <limits.h>
#include <string.h>
#include <xxhash.h>

uint64_t
hash64(const void *bytes, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, size, seed);
}

void
hash128(const void *bytes, size_t size, uint8_t digest[HASH128_SIZE])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
    memcpy(digest, canonical.digest, HASH128_SIZE);
}

uint32_t
crc32c(uint32_t crc, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    while (size > 0) {
        int part = size > INT_MAX ? INT_MAX : (int)size;
        /* The library's prototype lacks const; it only reads. */
        crc = crc32_iscsi((unsigned char *)(uintptr_t)at, part, crc);
        at += part;
        size -= (size_t)part;
    }
    return crc;
}
