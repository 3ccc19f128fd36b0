/* shard/settled.c - see settled.h. */
#include "shard/settled.h"

#include "base/reader.h"

enum {
    SAGA_SIZE = 20, /* at least */
};

void
shard_settled_encode(const struct shard_settled *settled, bool all, struct buffer *to)
{
    buffer_add_be64(to, settled->stamp);
    buffer_add_be64(to, settled->blind);
    buffer_add_be64(to, settled->epoch);
    buffer_add_be32(to, (uint32_t)settled->count);
    for (size_t i = 0; i < settled->count; i++) {
        const struct shard_open_saga *saga = &settled->sagas[i];
        size_t size = all || saga->begun <= settled->blind ? saga->places.size : 0;
        buffer_add_be64(to, saga->number);
        buffer_add_be64(to, saga->begun);
        buffer_add_be32(to, (uint32_t)size);
        buffer_add(to, saga->places.data, size);
    }
}

enum err
shard_settled_decode(
    struct arena *arena, struct slice bytes, struct shard_settled *settled, struct diag *diag)
{
    struct reader reader = {.rest = bytes};
    settled->stamp = load_be64(reader_take(&reader, 8));
    settled->blind = load_be64(reader_take(&reader, 8));
    settled->epoch = load_be64(reader_take(&reader, 8));
    settled->count = load_be32(reader_take(&reader, 4));
    if (reader.bad || settled->count > reader.rest.size / SAGA_SIZE) {
        return diag_set(diag, ERR_PROTOCOL, "invalid list of open sagas");
    }
    settled->sagas = arena_array(arena, settled->count + 1, sizeof *settled->sagas);
    for (size_t i = 0; i < settled->count; i++) {
        struct shard_open_saga *saga = &settled->sagas[i];
        saga->number = load_be64(reader_take(&reader, 8));
        saga->begun = load_be64(reader_take(&reader, 8));
        saga->places = reader_run(&reader, load_be32(reader_take(&reader, 4)));
    }
    return reader.bad || reader.rest.size > 0
               ? diag_set(diag, ERR_PROTOCOL, "invalid list of open sagas")
               : ERR_OK;
}
