/*
 * shard/settled.h - what a router says before a statement that is to pass over unfinished sagas:
 * the stamp to read as of, and which sagas were open at it.
 *
 * It goes before the statement as a message of its own, as SHARD_ROUTE_MESSAGE does (route.h), and
 * counts as long. The same form is what a node answers when it is asked which sagas are open of
 * which it is the home (tusk_saga_open), without the stamp.
 *
 *     OFFSET  SIZE  numbers big-endian
 *     0       8     stamp; 0 in a node's answer
 *     8       8     blind: of sagas that began later all nodes know what they have done there
 *     16      8     epoch of routes at the node (route.h): who does not know of it may not know of
 * all nodes; 0 in a message 24      4     number of sagas; then each: 8 number 8 begun: a stamp
 * before its beginning 4 size of what follows: where the records of its steps are (saga/remote.c);
 *                       a router leaves it out where begun is above blind
 */
#ifndef SHARD_SETTLED_H
#define SHARD_SETTLED_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
    SHARD_SETTLED_MESSAGE = 's',
};

struct shard_open_saga {
    uint64_t number, begun;
    struct slice places;
};

struct shard_settled {
    uint64_t stamp, blind, epoch;
    size_t count;
    struct shard_open_saga *sagas;
};

/* `all`: also what need not be said. */
void shard_settled_encode(const struct shard_settled *settled, bool all, struct buffer *to);
/* ERR_PROTOCOL if the bytes are not what they should be; `places` points into them. */
enum err shard_settled_decode(
    struct arena *arena, struct slice bytes, struct shard_settled *settled, struct diag *diag);

#endif /* SHARD_SETTLED_H */
