/* What the fuzzers of values share: an environment, and the start of each input. */
#ifndef TESTS_FUZZ_SQL_FUZZ_H
#define TESTS_FUZZ_SQL_FUZZ_H

#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "parser/scanner.h"
#include "sql/value/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct eval_env env = {.time_zone = "EST5EDT,M3.2.0,M11.1.0", .extra_float_digits = 1};
static struct diag diag;
static struct arena arena;
static struct eval eval = {.arena = &arena, .diag = &diag, .env = &env};

static inline bool
is_utf8(struct slice text)
{
    return text.size == 0 || (utf8_invalid_at((const char *)text.data, text.size) >= text.size &&
                                 memchr(text.data, 0, text.size) == NULL);
}

/* The first byte chooses what is done with the others; what that allocates goes with the input. */
static inline int
fuzz_input(const uint8_t *data, size_t size, void (*run)(uint8_t first, struct slice rest))
{
    static bool ready;
    if (!ready) {
        arena_create(&arena, "fuzz");
        ready = true;
    }
    if (size > 0 && size <= 4096) {
        run(data[0], slice_of(data + 1, size - 1));
        arena_reset(&arena);
    }
    return 0;
}

#endif
