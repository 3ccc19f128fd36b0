/* tests/sim/kept.c - memory that all processes of a run share; pointers into it hold in each. */
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/sim/sim.h"

#define REGION_SIZE ((size_t)64 << 20)
#define DISK_SIZE   ((size_t)512 << 20)

struct kept *kept;
bool sim_verbose;

static void *
map(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(memory != MAP_FAILED);
    return memory;
}

void
kept_create(void)
{
    kept = map(REGION_SIZE);
    kept->disk = map(DISK_SIZE);
}

void
kept_reset(uint64_t seed)
{
    uint8_t *disk = kept->disk;
    *kept = (struct kept){.used = sizeof *kept, .disk = disk, .trace = 1};
    kept->chance = hash_u64(seed + 0x636c69656e7473);
}

void *
kept_alloc(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    size_t at = (kept->used + 15) & ~(size_t)15;
    ASSERT(at + size <= REGION_SIZE);
    kept->used = at + size;
    return memset((uint8_t *)kept + at, 0, size);
}

uint64_t
kept_draw(uint64_t bound)
{
    kept->chance += 0x9e3779b97f4a7c15ULL;
    return hash_u64(kept->chance) % bound;
}

_Noreturn void
sim_fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(kept->failure, sizeof kept->failure, fmt, args);
    va_end(args);
    if (kept->template) { /* no parent that would say it */
        (void)fprintf(stderr, "tusk_sim: making the first database: %s\n", kept->failure);
    }
    _exit(1);
}

void
sim_tell(const char *fmt, ...)
{
    if (sim_verbose) {
        va_list args;
        va_start(args, fmt);
        (void)fprintf(stderr, "%12lld ", (long long)sim_now_us());
        (void)vfprintf(stderr, fmt, args);
        (void)fputc('\n', stderr);
        va_end(args);
    }
}
