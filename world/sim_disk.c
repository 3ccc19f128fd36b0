/*
 * world/sim_disk.c - what the simulator's files are made of, and what a crash leaves of them.
 *
 * Names and contents exist twice, living and durable (struct sim_inode, struct sim_names). A write
 * changes the living bytes and marks their sectors dirty; a sync, a durable write, or the system in
 * its own time copies dirty sectors over. A change of names is noted in order; syncing a directory
 * makes its changes durable.
 *
 * A power cut (world_sim_disk) chooses: for each dirty sector the old bytes or the new; for each
 * change of names whether it came through, in order, where what it builds on is there; for a file
 * whose size is not durable any size between. Each file and crash draws how much survives, so that
 * all and nothing happen as often as something.
 *
 * An image of a disk: records of entry_head, path, and the pieces of the content that are not
 * zeroes, each a piece_head and its bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "world/sim_internal.h"

enum {
    PIECE_SIZE = 4096,
    WORD_SECTORS = 64,
};

/* ---- names ----------------------------------------------------------------------------------- */

/* The length of the directory part, without its slash; 0 for a plain name or a child of "/". */
size_t
sim__parent_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

bool
sim__is_root(const char *path, size_t size)
{
    return size == 0 || (size == 1 && (path[0] == '/' || path[0] == '.')) ||
           (size == 2 && memcmp(path, "..", 2) == 0);
}

bool
sim__is_child(const char *path, const char *directory, const char **name)
{
    size_t size = sim__parent_size(path);
    *name = strrchr(path, '/') == NULL ? path : path + size + 1;
    if (size == 0) {
        return path[0] == '/' ? strcmp(directory, "/") == 0
                              : directory[0] == '\0' || strcmp(directory, ".") == 0;
    }
    return strlen(directory) == size && memcmp(path, directory, size) == 0;
}

/* Where `path` is or would stand. */
static size_t
names_find(const struct sim_names *names, const char *path, bool *found)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names->entries[middle].path, path);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

static struct sim_inode *
names_get(const struct sim_names *names, const char *path)
{
    bool found;
    size_t index = names_find(names, path, &found);
    return found ? names->entries[index].inode : NULL;
}

static void
names_remove(struct sim_world *sim, struct sim_names *names, const char *path)
{
    bool found;
    size_t index = names_find(names, path, &found);
    if (found) {
        struct sim_entry gone = names->entries[index];
        names->count--;
        memmove(&names->entries[index], &names->entries[index + 1],
            (names->count - index) * sizeof *names->entries);
        mem_free(gone.path);
        sim__inode_release(sim, gone.inode);
    }
}

static void
names_put(struct sim_world *sim, struct sim_names *names, const char *path, struct sim_inode *inode)
{
    inode->links++;
    bool found;
    size_t index = names_find(names, path, &found);
    if (found) {
        sim__inode_release(sim, names->entries[index].inode);
        names->entries[index].inode = inode;
        return;
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 16 : names->capacity * 2;
        names->entries = mem_realloc(names->entries, names->capacity * sizeof *names->entries);
    }
    memmove(&names->entries[index + 1], &names->entries[index],
        (names->count - index) * sizeof *names->entries);
    names->entries[index] = (struct sim_entry){.path = mem_strdup(path), .inode = inode};
    names->count++;
}

static void
names_destroy(struct sim_world *sim, struct sim_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        mem_free(names->entries[i].path);
        sim__inode_release(sim, names->entries[i].inode);
    }
    mem_free(names->entries);
}

struct sim_inode *
sim__name_get(const struct sim_world *sim, const char *path)
{
    return names_get(&sim->names, path);
}

/* ---- changes of names ------------------------------------------------------------------------ */

static void
note_change(struct sim_world *sim, const char *from, const char *to, struct sim_inode *inode)
{
    struct sim_change *change = mem_zalloc(sizeof *change);
    change->from = from == NULL ? NULL : mem_strdup(from);
    change->to = to == NULL ? NULL : mem_strdup(to);
    change->inode = inode;
    inode->links++;
    *sim->changes_end = change;
    sim->changes_end = &change->next;
}

static void
change_free(struct sim_world *sim, struct sim_change *change)
{
    sim__inode_release(sim, change->inode);
    mem_free(change->from);
    mem_free(change->to);
    mem_free(change);
}

/* Do it to `names`, if what it builds on is there. */
static void
change_apply(struct sim_world *sim, struct sim_names *names, const struct sim_change *change)
{
    if (change->from != NULL && names_get(names, change->from) != change->inode) {
        return;
    }
    if (change->to != NULL) {
        names_put(sim, names, change->to, change->inode);
    }
    if (change->from != NULL) {
        names_remove(sim, names, change->from);
    }
}

void
sim__name_add(struct sim_world *sim, const char *path, struct sim_inode *inode)
{
    names_put(sim, &sim->names, path, inode);
    note_change(sim, NULL, path, inode);
}

void
sim__name_remove(struct sim_world *sim, const char *path)
{
    struct sim_inode *inode = names_get(&sim->names, path);
    note_change(sim, path, NULL, inode);
    names_remove(sim, &sim->names, path);
}

void
sim__name_rename(struct sim_world *sim, const char *from, const char *to)
{
    struct sim_inode *inode = names_get(&sim->names, from);
    note_change(sim, from, to, inode);
    names_put(sim, &sim->names, to, inode);
    names_remove(sim, &sim->names, from);
}

void
sim__names_sync(struct sim_world *sim, const char *directory)
{
    struct sim_change **at = &sim->changes;
    while (*at != NULL) {
        struct sim_change *change = *at;
        const char *name;
        if ((change->from != NULL && sim__is_child(change->from, directory, &name)) ||
            (change->to != NULL && sim__is_child(change->to, directory, &name))) {
            *at = change->next;
            change_apply(sim, &sim->durable, change);
            change_free(sim, change);
        } else {
            at = &change->next;
        }
    }
    sim->changes_end = at;
}

/* ---- contents -------------------------------------------------------------------------------- */

void
sim__inode_release(struct sim_world *sim, struct sim_inode *inode)
{
    ASSERT(inode->links > 0);
    if (--inode->links == 0) {
        sim->used -= inode->bytes.size;
        buffer_destroy(&inode->bytes);
        buffer_destroy(&inode->durable);
        mem_free(inode->dirty);
        mem_free(inode);
    }
}

static void
buffer_set_size(struct buffer *bytes, uint64_t size)
{
    if (size > bytes->size) {
        size_t more = (size_t)size - bytes->size;
        memset(buffer_extend(bytes, more), 0, more);
    }
    bytes->size = (size_t)size;
}

static void
mark_dirty(struct sim_inode *inode, uint64_t from, uint64_t to)
{
    if (inode->temporary || from >= to) {
        return;
    }
    size_t first = (size_t)(from / SIM_SECTOR);
    size_t last = (size_t)((to - 1) / SIM_SECTOR);
    if (last / WORD_SECTORS >= inode->dirty_words) {
        size_t words = last / WORD_SECTORS + 1;
        words = words < inode->dirty_words * 2 ? inode->dirty_words * 2 : words;
        inode->dirty = mem_realloc(inode->dirty, words * sizeof *inode->dirty);
        memset(inode->dirty + inode->dirty_words, 0,
            (words - inode->dirty_words) * sizeof *inode->dirty);
        inode->dirty_words = words;
    }
    for (size_t sector = first; sector <= last; sector++) {
        inode->dirty[sector / WORD_SECTORS] |= (uint64_t)1 << sector % WORD_SECTORS;
    }
}

bool
sim__inode_resize(struct sim_world *sim, struct sim_inode *inode, uint64_t size)
{
    uint64_t old = inode->bytes.size;
    uint64_t limit = sim->options.faults.disk_size;
    if (size > old && limit != 0 && sim->used + (size - old) > limit) {
        return false;
    }
    sim->used += size - old; /* modulo 2^64, so it may shrink */
    buffer_set_size(&inode->bytes, size);
    /* What was cut off and grown again reads as zeroes, also where the durable half differs. */
    mark_dirty(inode, old < size ? old : size, old < size ? size : old);
    return true;
}

bool
sim__inode_write(
    struct sim_world *sim, struct sim_inode *inode, uint64_t offset, const void *bytes, size_t size)
{
    if (offset + size > inode->bytes.size && !sim__inode_resize(sim, inode, offset + size)) {
        return false;
    }
    memcpy(inode->bytes.data + offset, bytes, size);
    mark_dirty(inode, offset, offset + size);
    return true;
}

/* One sector as the running system sees it, zeroes where the file is shorter. */
static void
sector_to_disk(struct sim_inode *inode, size_t sector)
{
    size_t from = sector * SIM_SECTOR;
    size_t size = inode->durable.size > from ? inode->durable.size - from : 0;
    size = size < SIM_SECTOR ? size : SIM_SECTOR;
    if (size == 0) {
        return;
    }
    size_t there = inode->bytes.size > from ? inode->bytes.size - from : 0;
    there = there < size ? there : size;
    if (there > 0) {
        memcpy(inode->durable.data + from, inode->bytes.data + from, there);
    }
    memset(inode->durable.data + from + there, 0, size - there);
}

void
sim__inode_sync(struct sim_inode *inode, uint64_t offset, uint64_t size)
{
    bool whole = offset == 0 && size == UINT64_MAX;
    if (whole || inode->durable.size < inode->bytes.size) {
        buffer_set_size(&inode->durable, inode->bytes.size);
    }
    uint64_t end = whole ? (uint64_t)inode->dirty_words * WORD_SECTORS * SIM_SECTOR : offset + size;
    for (uint64_t at = offset / SIM_SECTOR; at * SIM_SECTOR < end; at++) {
        if (at / WORD_SECTORS >= inode->dirty_words) {
            break;
        }
        uint64_t *word = &inode->dirty[at / WORD_SECTORS];
        if (*word == 0 && at % WORD_SECTORS == 0) {
            at += WORD_SECTORS - 1;
        } else if ((*word >> at % WORD_SECTORS & 1) != 0) {
            *word &= ~((uint64_t)1 << at % WORD_SECTORS);
            sector_to_disk(inode, (size_t)at);
        }
    }
}

/* How much of something comes through: nothing, all, or a part. */
static uint64_t
draw_share(struct sim_world *sim)
{
    static const uint8_t shares[] = {0, 0, 1, 4, 8, 12, 15, 16, 16};
    return shares[sim__draw(sim, sizeof shares)];
}

/* Of the dirty sectors, each with `chance` in 16 comes through; or with a chance that each stretch
 * of 64 draws for itself, so that early writes can be lost where late ones are not. */
static void
write_some(struct sim_world *sim, struct sim_inode *inode, uint64_t chance)
{
    bool by_stretch = sim__draw(sim, 2) == 0;
    for (size_t i = 0; i < inode->dirty_words; i++) {
        uint64_t own = by_stretch && inode->dirty[i] != 0 ? draw_share(sim) : chance;
        for (uint64_t rest = inode->dirty[i]; rest != 0; rest &= rest - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(rest);
            /* Behind the end on the disk there is no place yet: it stays dirty. */
            size_t end = (i * WORD_SECTORS + bit + 1) * SIM_SECTOR;
            bool place = end <= inode->durable.size || inode->bytes.size <= inode->durable.size;
            if (place && sim__draw(sim, 16) < own) {
                inode->dirty[i] &= ~((uint64_t)1 << bit);
                sector_to_disk(inode, i * WORD_SECTORS + bit);
            }
        }
    }
}

void
sim__inode_write_back(struct sim_world *sim, struct sim_inode *inode)
{
    if (!inode->temporary) {
        if (inode->durable.size < inode->bytes.size && sim__draw(sim, 2) == 0) {
            buffer_set_size(&inode->durable, inode->bytes.size);
        }
        write_some(sim, inode, draw_share(sim));
    }
}

void
sim__inode_rot(struct sim_world *sim, struct sim_inode *inode, uint64_t offset, size_t size)
{
    uint64_t at = offset + sim__draw(sim, size);
    uint8_t bit = (uint8_t)(1U << sim__draw(sim, 8));
    inode->bytes.data[at] ^= bit;
    if (at < inode->durable.size) {
        inode->durable.data[at] ^= bit;
    }
}

/* ---- what a power cut leaves ----------------------------------------------------------------- */

static void
cut_content(struct sim_world *sim, struct sim_inode *inode)
{
    uint64_t share = draw_share(sim);
    uint64_t living = inode->bytes.size;
    uint64_t durable = inode->durable.size;
    uint64_t low = living < durable ? living : durable;
    uint64_t high = living < durable ? durable : living;
    uint64_t size = share == 0    ? durable
                    : share == 16 ? living
                                  : low + sim__draw(sim, high - low + 1);
    if (living < durable && size != durable) {
        size = living; /* cut off or not: files do not shrink by and by */
    }
    buffer_set_size(&inode->durable, size);
    write_some(sim, inode, share);
}

static void
cut_names(struct sim_world *sim)
{
    uint64_t share = draw_share(sim);
    bool ordered = sim__draw(sim, 2) == 0; /* a journal: what comes later needs what was before */
    bool lost = false;
    while (sim->changes != NULL) {
        struct sim_change *change = sim->changes;
        sim->changes = change->next;
        lost = (lost && ordered) || sim__draw(sim, 16) >= share;
        if (!lost) {
            change_apply(sim, &sim->durable, change);
        }
        change_free(sim, change);
    }
    sim->changes_end = &sim->changes;
}

/* Names whose directory did not come through are gone with it. Parents sort before children. */
static void
drop_orphans(struct sim_world *sim)
{
    for (size_t i = 0; i < sim->durable.count;) {
        char *path = sim->durable.entries[i].path;
        size_t size = sim__parent_size(path);
        char *parent = mem_strdup(path);
        parent[size] = '\0';
        bool there = sim__is_root(parent, size) || names_get(&sim->durable, parent) != NULL;
        mem_free(parent);
        if (there) {
            i++;
        } else {
            names_remove(sim, &sim->durable, path);
        }
    }
}

/* ---- images ------------------------------------------------------------------------------------
 */

struct entry_head {
    uint32_t path_size, directory;
    uint64_t size, pieces, same_as; /* same_as: number of an earlier entry with this inode, or 0 */
};

struct piece_head {
    uint64_t offset;
};

static bool
is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static void
put_entry(struct buffer *disk, const struct sim_entry *entry, const struct buffer *content,
    uint64_t number)
{
    struct sim_inode *inode = entry->inode;
    struct entry_head head = {.path_size = (uint32_t)strlen(entry->path),
        .directory = inode->directory,
        .size = content->size,
        .same_as = inode->reported};
    size_t at = disk->size;
    buffer_add(disk, &head, sizeof head);
    buffer_add(disk, entry->path, head.path_size);
    if (inode->reported == 0) {
        inode->reported = number;
        for (size_t offset = 0; offset < content->size; offset += PIECE_SIZE) {
            size_t left = content->size - offset;
            size_t size = left < PIECE_SIZE ? left : PIECE_SIZE;
            if (!is_zero(content->data + offset, size)) {
                struct piece_head piece = {.offset = offset};
                buffer_add(disk, &piece, sizeof piece);
                buffer_add(disk, content->data + offset, size);
                head.pieces++;
            }
        }
        memcpy(disk->data + at, &head, sizeof head);
    }
}

void
world_sim_disk(struct world *world, enum world_sim_end end, struct buffer *disk)
{
    struct sim_world *sim = (struct sim_world *)(void *)world;
    struct sim_names *names = &sim->names;
    if (end == WORLD_SIM_POWER_CUT) {
        names = &sim->durable;
        cut_names(sim);
        drop_orphans(sim);
    }
    for (size_t i = 0; i < names->count; i++) {
        struct sim_inode *inode = names->entries[i].inode;
        if (end == WORLD_SIM_POWER_CUT && inode->reported == 0) {
            cut_content(sim, inode);
        }
        put_entry(disk, &names->entries[i],
            end == WORLD_SIM_POWER_CUT ? &inode->durable : &inode->bytes, i + 1);
    }
}

static const uint8_t *
take(struct slice *from, size_t size)
{
    ASSERT(from->size >= size);
    const uint8_t *at = from->data;
    from->data += size;
    from->size -= size;
    return at;
}

void
sim__disk_load(struct sim_world *sim, struct slice disk)
{
    while (disk.size > 0) {
        struct entry_head head;
        memcpy(&head, take(&disk, sizeof head), sizeof head);
        char *path = mem_zalloc((size_t)head.path_size + 1);
        memcpy(path, take(&disk, head.path_size), head.path_size);
        struct sim_inode *inode = NULL;
        if (head.same_as != 0) {
            /* All before have one entry each, but sorted: look for the number. */
            for (size_t i = 0; i < sim->names.count; i++) {
                inode = sim->names.entries[i].inode->reported == head.same_as
                            ? sim->names.entries[i].inode
                            : inode;
            }
            ASSERT(inode != NULL);
        } else {
            inode = mem_zalloc(sizeof *inode);
            inode->directory = head.directory != 0;
            inode->reported = sim->names.count + 1;
            buffer_set_size(&inode->bytes, head.size);
            sim->used += head.size;
            for (uint64_t i = 0; i < head.pieces; i++) {
                struct piece_head piece;
                memcpy(&piece, take(&disk, sizeof piece), sizeof piece);
                uint64_t left = head.size - piece.offset;
                size_t size = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
                memcpy(inode->bytes.data + piece.offset, take(&disk, size), size);
            }
            if (head.size > 0) {
                buffer_add(&inode->durable, inode->bytes.data, inode->bytes.size);
            }
        }
        names_put(sim, &sim->names, path, inode);
        names_put(sim, &sim->durable, path, inode);
        mem_free(path);
    }
    for (size_t i = 0; i < sim->names.count; i++) {
        sim->names.entries[i].inode->reported = 0;
    }
}

void
sim__disk_destroy(struct sim_world *sim)
{
    while (sim->changes != NULL) {
        struct sim_change *change = sim->changes;
        sim->changes = change->next;
        change_free(sim, change);
    }
    names_destroy(sim, &sim->names);
    names_destroy(sim, &sim->durable);
}
