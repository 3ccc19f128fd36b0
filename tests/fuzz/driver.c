/*
 * Runs a libFuzzer target without libFuzzer: the lines of a corpus as they are, then COUNT random
 * mutations of them. The seed is fixed, so a failure repeats.
 *
 *     parser_fuzz_short COUNT CORPUS
 *
 * A corpus named *.hex has its lines in hexadecimal digits.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LINES_MAX = 4096,
    INPUT_MAX = 1 << 16,
};

static char *lines[LINES_MAX];
static size_t line_sizes[LINES_MAX];
static size_t line_count;
static uint64_t state = 0x9E3779B97F4A7C15ULL;

static uint64_t
next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t
below(size_t limit)
{
    return limit == 0 ? 0 : (size_t)(next_random() % limit);
}

/* One change: cut, double, overwrite, insert, or splice in a piece of another line. */
static size_t
mutate(uint8_t *input, size_t size)
{
    size_t at = below(size + 1);
    size_t length = below(size - at + 1);
    switch (below(6)) {
    case 0:
        memmove(input + at, input + at + length, size - at - length);
        return size - length;
    case 1:
        if (size + length > INPUT_MAX) {
            return size;
        }
        memmove(input + at + length, input + at, size - at);
        return size + length;
    case 2:
        if (at < size) {
            input[at] = (uint8_t)next_random();
        }
        return size;
    case 3:
        if (at < size) {
            static const char special[] = "'\"$();,.*/-+[]:=<>\\ \n{}|&e0";
            input[at] = (uint8_t)special[below(sizeof special - 1)];
        }
        return size;
    default: {
        size_t index = below(line_count);
        const char *other = lines[index];
        size_t other_size = line_sizes[index];
        size_t from = below(other_size);
        length = below(other_size - from + 1);
        if (size + length > INPUT_MAX) {
            return size;
        }
        memmove(input + at + length, input + at, size - at);
        memcpy(input + at, other + from, length);
        return size + length;
    }
    }
}

/* In place; returns how many bytes it is. */
static size_t
from_hex(char *line, size_t size)
{
    for (size_t i = 0; i < size / 2; i++) {
        char digits[] = {line[2 * i], line[2 * i + 1], '\0'};
        line[i] = (char)strtoul(digits, NULL, 16);
    }
    return size / 2;
}

int
main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[2], "r") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: %s COUNT CORPUS\n", argv[0]);
        return 2;
    }
    static char line[INPUT_MAX];
    const char *dot = strrchr(argv[2], '.');
    int hex = dot != NULL && strcmp(dot, ".hex") == 0;
    while (line_count < LINES_MAX && fgets(line, sizeof line, file) != NULL) {
        size_t size = strcspn(line, "\n");
        size = hex ? from_hex(line, size) : size;
        lines[line_count] = mem_alloc(size + 1);
        memcpy(lines[line_count], line, size);
        line_sizes[line_count++] = size;
        LLVMFuzzerTestOneInput((const uint8_t *)line, size);
    }
    fclose(file);
    static uint8_t input[INPUT_MAX];
    long count = strtol(argv[1], NULL, 10);
    for (long i = 0; i < count; i++) {
        size_t index = below(line_count);
        size_t size = line_sizes[index];
        memcpy(input, lines[index], size);
        for (size_t changes = 1 + below(4); changes > 0; changes--) {
            size = mutate(input, size);
        }
        /* Exactly as long as it is, so that a sanitizer sees one byte too far. */
        uint8_t *copy = mem_alloc(size);
        memcpy(copy, input, size);
        LLVMFuzzerTestOneInput(copy, size);
        mem_free(copy);
    }
    for (size_t i = 0; i < line_count; i++) {
        mem_free(lines[i]);
    }
    printf("%zu lines and %ld mutations\n", line_count, count);
    return 0;
}
