#include "btree/superblock.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

static uint32_t
checksum(const struct superblock *block)
{
    return crc32c(CRC32C_INIT, block, offsetof(struct superblock, crc));
}

enum err
superblock__write(
    struct task *task, struct btree *store, struct superblock *block, struct diag *diag)
{
    memcpy(block->magic, "TUSKDATA", 8);
    block->version = SUPERBLOCK_VERSION;
    block->page_size = BTREE_PAGE_SIZE;
    block->crc = checksum(block);
    TRY(world_file_write(task, store->file, block->number % SUPERBLOCK_BLOCKS * BLOCK_SIZE, block,
        sizeof *block, diag));
    world_file_sync(task, store->file);
    return ERR_OK;
}

enum err
superblock__read(
    struct task *task, struct btree *store, struct superblock *block, struct diag *diag)
{
    struct superblock *copies = mem_zalloc(SUPERBLOCK_BLOCKS * sizeof *copies);
    size_t got = 0;
    enum err err = world_file_read(
        task, store->file, 0, copies, SUPERBLOCK_BLOCKS * sizeof *copies, &got, diag);
    const struct superblock *best = NULL;
    uint32_t other = 0; /* a version that is said beside no valid copy: a bit of one may be wrong */
    for (int i = 0; err == ERR_OK && i < SUPERBLOCK_BLOCKS; i++) {
        bool ours = memcmp(copies[i].magic, "TUSKDATA", 8) == 0;
        if (ours && copies[i].version != SUPERBLOCK_VERSION) {
            other = copies[i].version;
        } else if (ours && copies[i].page_size == BTREE_PAGE_SIZE &&
                   copies[i].crc == checksum(&copies[i]) &&
                   (best == NULL || copies[i].number > best->number)) {
            best = &copies[i];
        }
    }
    if (err == ERR_OK && best == NULL && other != 0) {
        err = diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "file \"%s\" has format version %u; this program reads version %d",
            world_file_path(store->file), other, SUPERBLOCK_VERSION);
        diag_hint(diag, "Start the server that made it, write everything out with pg_dump, and "
                        "load that into a new directory.");
    } else if (err == ERR_OK && best == NULL) {
        err = diag_set(
            diag, ERR_CORRUPT, "file \"%s\" has no valid superblock", world_file_path(store->file));
        diag_hint(
            diag, "It is not a data file of this server, or it is damaged; restore a backup.");
    }
    if (best != NULL) {
        memcpy(block, best, sizeof *block);
    }
    mem_free(copies);
    return err;
}
