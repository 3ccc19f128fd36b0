/*
 * btree/superblock.h - where everything begins.
 *
 * Two copies, in blocks 0 and 1 of the data file; checkpoint n writes copy n % 2. The valid one
 * with the larger number counts. So a torn write of one leaves the other.
 */
#ifndef BTREE_SUPERBLOCK_H
#define BTREE_SUPERBLOCK_H

#include "btree/btree_internal.h"

enum {
    SUPERBLOCK_VERSION = 2,
    SUPERBLOCK_BLOCKS = 2,
};

struct superblock {
    char magic[8]; /* "TUSKDATA" */
    uint32_t version;
    uint32_t page_size;
    uint64_t number;   /* of the checkpoint, from 1 */
    uint64_t snapshot; /* LSN */
    uint64_t next_page_id;
    uint64_t directory_extent, directory_size; /* of struct directory_entry */
    uint64_t trees_extent, trees_size;         /* of struct tree_entry */
    uint32_t directory_crc, trees_crc;
    uint32_t meta_size;
    uint8_t meta[512];
    uint8_t zero[3496];
    uint32_t crc; /* of all before it */
};
_Static_assert(sizeof(struct superblock) == BLOCK_SIZE, "one block");

struct directory_entry {
    uint64_t extent; /* of a mapping chunk (struct stored_chunk); 0: all zero */
    uint32_t crc;
    uint32_t zero;
};
_Static_assert(sizeof(struct directory_entry) == 16, "on disk");

/* Of MAP_CHUNK_ENTRIES pages: their images, and which these are (B15). */
struct stored_chunk {
    uint64_t extents[MAP_CHUNK_ENTRIES];
    uint32_t checks[MAP_CHUNK_ENTRIES];
};
_Static_assert(sizeof(struct stored_chunk) == (size_t)12 * MAP_CHUNK_ENTRIES, "on disk");

struct tree_entry {
    uint64_t tree, root;
    int64_t leaf_count, row_count;
};
_Static_assert(sizeof(struct tree_entry) == 32, "on disk");

/* Fills in magic, version, page size and checksum. Durable on return. */
enum err superblock__write(
    struct task *task, struct btree *store, struct superblock *block, struct diag *diag);
/* The newer valid copy; ERR_CORRUPT if there is none. */
enum err superblock__read(
    struct task *task, struct btree *store, struct superblock *block, struct diag *diag);

#endif /* BTREE_SUPERBLOCK_H */
