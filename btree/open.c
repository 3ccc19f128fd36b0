/* btree/open.c - a store's beginning and end. */
#include <stdio.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "btree/superblock.h"

#define CACHE_SIZE_DEFAULT ((uint64_t)1 << 30)

static struct btree *
store_new(struct task *task, const struct btree_options *options)
{
    struct btree *store = mem_zalloc(sizeof *store);
    store->world = task_world(task);
    store->owner = options->owner;
    store->directory = mem_strdup(options->directory);
    uint64_t size = options->cache_size == 0 ? CACHE_SIZE_DEFAULT : options->cache_size;
    uint64_t frames = size / BTREE_PAGE_SIZE;
    frames = frames < 64 ? 64 : frames > UINT32_MAX / 2 ? UINT32_MAX / 2 : frames;
    store->frame_count = (uint32_t)frames;
    store->pages = mmap(NULL, (size_t)frames * BTREE_PAGE_SIZE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(store->pages != MAP_FAILED);
    (void)madvise(store->pages, (size_t)frames * BTREE_PAGE_SIZE, MADV_HUGEPAGE);
    store->frames = mem_array((size_t)frames, sizeof *store->frames);
    store->frame_free = UINT32_MAX;
    store->next_page_id = 1;
    list_init(&store->load_waiters);
    evict__create(store);
    /* Address space until used: calloc of this size is fresh zero pages. */
    store->map = mem_array(MAP_CHUNKS_MAX, sizeof *store->map);
    store->trees = mem_array(TREE_CHUNKS_MAX, sizeof *store->trees);
    return store;
}

/* An extent that the file names: it must lie in the file, and nothing else may. */
static enum err
claim(struct btree *store, uint64_t extent, struct diag *diag)
{
    if (space__claim(store, extent, store->file_blocks)) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_CORRUPT,
        "file \"%s\" names an extent of %llu blocks at offset %llu that is outside of it or in use",
        world_file_path(store->file), (unsigned long long)(extent & 0xFFFF),
        (unsigned long long)((extent >> 16) * BLOCK_SIZE));
    diag_hint(diag, "Restore the data directory from a backup.");
    return ERR_CORRUPT;
}

/* Read an extent into memory (whole blocks); the caller frees. */
static enum err
read_extent(struct task *task, struct btree *store, uint64_t extent, uint64_t size, uint32_t crc,
    const char *what, uint8_t **bytes, struct diag *diag)
{
    size_t padded = (size_t)(extent & 0xFFFF) * BLOCK_SIZE;
    *bytes = mem_zalloc(padded == 0 ? 1 : padded);
    size_t got = 0;
    enum err err =
        world_file_read(task, store->file, (extent >> 16) * BLOCK_SIZE, *bytes, padded, &got, diag);
    if (err == ERR_OK && (size > got || crc32c(CRC32C_INIT, *bytes, (size_t)size) != crc)) {
        err = diag_set(diag, ERR_CORRUPT, "the %s at offset %llu of file \"%s\" is damaged", what,
            (unsigned long long)((extent >> 16) * BLOCK_SIZE), world_file_path(store->file));
        diag_hint(diag, "Restore the data directory from a backup.");
    }
    return err;
}

static enum err
load_chunk(struct task *task, struct btree *store, uint64_t number,
    const struct directory_entry *entry, struct diag *diag)
{
    struct map_chunk *chunk = store__chunk(store, number * MAP_CHUNK_ENTRIES);
    chunk->extent = entry->extent;
    TRY(claim(store, entry->extent, diag));
    uint8_t *bytes = NULL;
    enum err err = read_extent(task, store, entry->extent, sizeof(struct stored_chunk), entry->crc,
        "mapping table", &bytes, diag);
    const struct stored_chunk *stored = (const struct stored_chunk *)(const void *)bytes;
    for (uint32_t i = 0; err == ERR_OK && i < MAP_CHUNK_ENTRIES; i++) {
        uint64_t extent = stored->extents[i];
        chunk->entries[i].extent = extent;
        chunk->entries[i].check = stored->checks[i];
        chunk->entries[i].used = extent != 0;
        if (extent != 0) {
            err = claim(store, extent, diag);
        }
    }
    mem_free(bytes);
    return err;
}

static enum err
load_directory(
    struct task *task, struct btree *store, const struct superblock *block, struct diag *diag)
{
    uint8_t *bytes = NULL;
    enum err err = read_extent(task, store, block->directory_extent, block->directory_size,
        block->directory_crc, "mapping directory", &bytes, diag);
    uint64_t count = block->directory_size / sizeof(struct directory_entry);
    for (uint64_t i = 0; err == ERR_OK && i < count && i < MAP_CHUNKS_MAX; i++) {
        struct directory_entry entry;
        memcpy(&entry, bytes + i * sizeof entry, sizeof entry);
        if (entry.extent != 0) {
            err = load_chunk(task, store, i, &entry, diag);
        }
    }
    mem_free(bytes);
    return err;
}

static enum err
load_trees(
    struct task *task, struct btree *store, const struct superblock *block, struct diag *diag)
{
    uint8_t *bytes = NULL;
    enum err err = read_extent(task, store, block->trees_extent, block->trees_size,
        block->trees_crc, "table of trees", &bytes, diag);
    uint64_t count = block->trees_size / sizeof(struct tree_entry);
    for (uint64_t i = 0; err == ERR_OK && i < count; i++) {
        struct tree_entry entry;
        memcpy(&entry, bytes + i * sizeof entry, sizeof entry);
        err = store__tree_add(
            store, (tree_id_t){entry.tree}, entry.root, entry.leaf_count, entry.row_count, diag);
    }
    mem_free(bytes);
    return err;
}

static void
find_free_ids(struct btree *store)
{
    for (uint64_t id = store->next_page_id; id-- > 1;) {
        const struct map_entry *entry = store__entry(store, id);
        if (entry != NULL && entry->used) {
            continue;
        }
        store__numbers_add(&store->free_ids, id);
    }
}

static enum err
load(struct task *task, struct btree *store, struct btree_checkpoint_info *info, struct diag *diag)
{
    struct superblock *block = mem_alloc(sizeof *block);
    enum err err = superblock__read(task, store, block, diag);
    if (err == ERR_OK && block->next_page_id > (uint64_t)MAP_CHUNKS_MAX * MAP_CHUNK_ENTRIES) {
        err = diag_set(diag, ERR_CORRUPT, "the superblock of file \"%s\" is damaged",
            world_file_path(store->file));
    }
    if (err == ERR_OK) {
        store->checkpoint_number = block->number;
        store->next_page_id = block->next_page_id;
        store->directory_extent = block->directory_extent;
        store->trees_extent = block->trees_extent;
        if (block->directory_extent != 0) {
            err = claim(store, block->directory_extent, diag);
            if (err == ERR_OK) {
                err = claim(store, block->trees_extent, diag);
            }
            if (err == ERR_OK) {
                err = load_directory(task, store, block, diag);
            }
            if (err == ERR_OK) {
                err = load_trees(task, store, block, diag);
            }
        }
        if (err == ERR_OK) {
            find_free_ids(store);
        }
        info->snapshot.v = block->snapshot;
        info->meta_size =
            block->meta_size > sizeof info->meta ? sizeof info->meta : block->meta_size;
        memcpy(info->meta, block->meta, info->meta_size);
    }
    mem_free(block);
    return err;
}

/* Under another name until it is whole: a crash leaves no data file or a good one. */
static enum err
create(struct task *task, struct btree *store, const char *path, struct diag *diag)
{
    char new_path[4096];
    (void)snprintf(new_path, sizeof new_path, "%s/data.tusk.new", store->directory);
    TRY(world_file_open(task, new_path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &store->file, diag));
    struct superblock *block = mem_alloc_aligned(BLOCK_SIZE, sizeof *block);
    memset(block, 0, sizeof *block);
    block->number = 1;
    block->next_page_id = 1;
    enum err err = world_file_truncate(task, store->file, 0, diag);
    if (err == ERR_OK) {
        err = superblock__write(task, store, block, diag);
    }
    world_file_close(task, store->file);
    store->file = NULL;
    mem_free(block);
    TRY(err);
    TRY(world_rename(task, new_path, path, diag));
    world_sync_directory(task, store->directory);
    return ERR_OK;
}

enum err
btree_open(struct task *task, const struct btree_options *options, struct btree **store_out,
    struct btree_checkpoint_info *info, struct diag *diag)
{
    *info = (struct btree_checkpoint_info){0};
    struct btree *store = store_new(task, options);
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/data.tusk", options->directory);
    enum err err = ERR_OK;
    if (!world_file_exists(task, path)) {
        err = create(task, store, path, diag);
    }
    if (err == ERR_OK) {
        err = world_file_open(task, path, WORLD_FILE_WRITE, &store->file, diag);
    }
    if (err == ERR_OK) {
        /* Whoever was killed here before us may have left a superblock that the system has and the
         * disk has not. What we read is what counts from now on, so it must be durable (B7). */
        world_file_sync(task, store->file);
        world_sync_directory(task, options->directory);
        err = evict__discard(task, store, diag);
    }
    uint64_t size = 0;
    if (err == ERR_OK) {
        err = world_file_size(task, store->file, &size, diag);
    }
    if (err == ERR_OK) {
        store->file_blocks = size / BLOCK_SIZE;
        ASSERT(space__claim(store, extent_of(0, SUPERBLOCK_BLOCKS), SUPERBLOCK_BLOCKS));
        err = load(task, store, info, diag);
    }
    if (err != ERR_OK) {
        btree_close(task, store);
        return err;
    }
    *store_out = store;
    return ERR_OK;
}

void
btree_close(struct task *task, struct btree *store)
{
    if (store->file != NULL) {
        world_file_close(task, store->file);
    }
    evict__destroy(task, store);
    for (uint64_t i = 0; i < MAP_CHUNKS_MAX; i++) {
        struct map_chunk *chunk = atomic_load(&store->map[i]);
        if (chunk == NULL && i * MAP_CHUNK_ENTRIES > store->next_page_id) {
            break;
        }
        mem_free(chunk);
    }
    for (uint64_t i = 0; i <= store->tree_last / TREE_CHUNK_ENTRIES; i++) {
        _Atomic(struct tree *) *chunk = atomic_load(&store->trees[i]);
        for (uint32_t j = 0; chunk != NULL && j < TREE_CHUNK_ENTRIES; j++) {
            mem_free(atomic_load(&chunk[j]));
        }
        mem_free(chunk);
    }
    (void)munmap(store->pages, (size_t)store->frame_count * BTREE_PAGE_SIZE);
    mem_free(store->frames);
    mem_free(store->map);
    mem_free(store->trees);
    mem_free(store->free_ids.at);
    mem_free(store->free_ids_late.at);
    mem_free(store->space.used);
    mem_free(store->freed.at);
    mem_free(store->directory);
    mem_free(store);
}
