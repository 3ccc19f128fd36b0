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
 * An image of a disk: records of record_head and what it announces; of the content the pieces that
 * are not zeroes. After a power cut that is all; if only the process was killed, what is not
 * durable is in the image too, and the next life's power cut may still take it.
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
sim__inode_write(struct sim_world *sim, struct sim_inode *inode, uint64_t offset, const void *bytes,
    size_t size, bool lost)
{
    if (offset + size > inode->bytes.size && !sim__inode_resize(sim, inode, offset + size)) {
        return false;
    }
    memcpy(inode->bytes.data + offset, bytes, size);
    if (!lost) { /* else nobody will bring it to the disk */
        mark_dirty(inode, offset, offset + size);
    }
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

enum record_flags {
    RECORD_DIRECTORY = 1,
    RECORD_LIVING = 2,  /* the running system has the name */
    RECORD_DURABLE = 4, /* the disk has it */
    RECORD_CHANGE = 8,  /* no entry: a change of names that is not durable */
};

/* An entry: path, pieces, old sectors. A change: from, to. */
struct record_head {
    uint32_t flags;
    uint32_t path_size, to_size; /* 0: there is none */
    uint32_t olds;               /* sectors that are otherwise on the disk */
    uint64_t size, durable_size, pieces;
    uint64_t number;  /* of the inode; its content comes with the first record that has it */
    uint64_t content; /* whether it does */
};

struct piece_head {
    uint64_t offset;
};

static bool
is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static uint64_t
put_pieces(struct buffer *disk, const struct buffer *content)
{
    uint64_t count = 0;
    for (size_t offset = 0; offset < content->size; offset += PIECE_SIZE) {
        size_t left = content->size - offset;
        size_t size = left < PIECE_SIZE ? left : PIECE_SIZE;
        if (!is_zero(content->data + offset, size)) {
            struct piece_head piece = {.offset = offset};
            buffer_add(disk, &piece, sizeof piece);
            buffer_add(disk, content->data + offset, size);
            count++;
        }
    }
    return count;
}

/* The dirty sectors as they are on the disk. */
static uint32_t
put_olds(struct buffer *disk, const struct sim_inode *inode)
{
    uint32_t count = 0;
    for (size_t i = 0; i < inode->dirty_words; i++) {
        for (uint64_t rest = inode->dirty[i]; rest != 0; rest &= rest - 1) {
            size_t from = (i * WORD_SECTORS + (size_t)__builtin_ctzll(rest)) * SIM_SECTOR;
            struct piece_head piece = {.offset = from};
            uint8_t bytes[SIM_SECTOR] = {0};
            size_t there = inode->durable.size > from ? inode->durable.size - from : 0;
            if (there > 0) {
                memcpy(bytes, inode->durable.data + from, there < SIM_SECTOR ? there : SIM_SECTOR);
            }
            buffer_add(disk, &piece, sizeof piece);
            buffer_add(disk, bytes, sizeof bytes);
            count++;
        }
    }
    return count;
}

/* `cut`: only what is on the disk counts. */
static void
put_entry(
    struct buffer *disk, const struct sim_entry *entry, uint32_t flags, bool cut, uint64_t *numbers)
{
    struct sim_inode *inode = entry->inode;
    const struct buffer *content = cut ? &inode->durable : &inode->bytes;
    struct record_head head = {.flags = flags | (inode->directory ? RECORD_DIRECTORY : 0),
        .path_size = (uint32_t)strlen(entry->path),
        .size = content->size,
        .durable_size = inode->durable.size,
        .content = inode->reported == 0};
    if (inode->reported == 0) {
        inode->reported = ++*numbers;
    }
    head.number = inode->reported;
    size_t at = disk->size;
    buffer_add(disk, &head, sizeof head);
    buffer_add(disk, entry->path, head.path_size);
    if (head.content != 0) {
        head.pieces = put_pieces(disk, content);
        head.olds = cut ? 0 : put_olds(disk, inode);
        memcpy(disk->data + at, &head, sizeof head);
    }
}

static void
put_change(struct buffer *disk, const struct sim_change *change)
{
    struct record_head head = {.flags = RECORD_CHANGE,
        .path_size = change->from == NULL ? 0 : (uint32_t)strlen(change->from),
        .to_size = change->to == NULL ? 0 : (uint32_t)strlen(change->to),
        .number = change->inode->reported};
    buffer_add(disk, &head, sizeof head);
    buffer_add(disk, change->from == NULL ? "" : change->from, head.path_size);
    buffer_add(disk, change->to == NULL ? "" : change->to, head.to_size);
}

void
world_sim_disk(struct world *world, enum world_sim_end end, struct buffer *disk)
{
    struct sim_world *sim = (struct sim_world *)(void *)world;
    bool cut = end == WORLD_SIM_POWER_CUT;
    uint64_t numbers = 0;
    if (cut) {
        cut_names(sim);
        drop_orphans(sim);
        for (size_t i = 0; i < sim->durable.count; i++) {
            struct sim_inode *inode = sim->durable.entries[i].inode;
            if (inode->reported == 0) {
                cut_content(sim, inode);
            }
            put_entry(
                disk, &sim->durable.entries[i], RECORD_LIVING | RECORD_DURABLE, true, &numbers);
        }
        return;
    }
    for (size_t i = 0; i < sim->names.count; i++) {
        put_entry(disk, &sim->names.entries[i], RECORD_LIVING, false, &numbers);
    }
    for (size_t i = 0; i < sim->durable.count; i++) {
        put_entry(disk, &sim->durable.entries[i], RECORD_DURABLE, false, &numbers);
    }
    for (const struct sim_change *at = sim->changes; at != NULL; at = at->next) {
        if (at->inode->reported != 0) { /* else it came and went, and nothing is left of it */
            put_change(disk, at);
        }
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

static char *
take_path(struct slice *from, size_t size)
{
    if (size == 0) {
        return NULL;
    }
    char *path = mem_zalloc(size + 1);
    memcpy(path, take(from, size), size);
    return path;
}

static struct sim_inode *
take_content(struct sim_world *sim, const struct record_head *head, struct slice *disk)
{
    struct sim_inode *inode = mem_zalloc(sizeof *inode);
    inode->directory = (head->flags & RECORD_DIRECTORY) != 0;
    inode->reported = head->number;
    buffer_set_size(&inode->bytes, head->size);
    sim->used += head->size;
    for (uint64_t i = 0; i < head->pieces; i++) {
        struct piece_head piece;
        memcpy(&piece, take(disk, sizeof piece), sizeof piece);
        uint64_t left = head->size - piece.offset;
        size_t size = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
        memcpy(inode->bytes.data + piece.offset, take(disk, size), size);
    }
    if (head->size > 0) {
        buffer_add(&inode->durable, inode->bytes.data, inode->bytes.size);
    }
    buffer_set_size(&inode->durable, head->durable_size);
    for (uint32_t i = 0; i < head->olds; i++) {
        struct piece_head piece;
        memcpy(&piece, take(disk, sizeof piece), sizeof piece);
        const uint8_t *bytes = take(disk, SIM_SECTOR);
        size_t there =
            head->durable_size > piece.offset ? (size_t)(head->durable_size - piece.offset) : 0;
        if (there > 0) {
            memcpy(
                inode->durable.data + piece.offset, bytes, there < SIM_SECTOR ? there : SIM_SECTOR);
        }
        mark_dirty(inode, piece.offset, piece.offset + SIM_SECTOR);
    }
    return inode;
}

void
sim__disk_load(struct sim_world *sim, struct slice disk)
{
    struct sim_inode **inodes = NULL;
    size_t count = 0;
    while (disk.size > 0) {
        struct record_head head;
        memcpy(&head, take(&disk, sizeof head), sizeof head);
        char *path = take_path(&disk, head.path_size);
        char *to = take_path(&disk, head.to_size);
        if (head.content != 0) {
            ASSERT(head.number == count + 1);
            inodes = mem_realloc(inodes, ++count * sizeof *inodes);
            inodes[count - 1] = take_content(sim, &head, &disk);
        }
        ASSERT(head.number > 0 && head.number <= count);
        struct sim_inode *inode = inodes[head.number - 1];
        if ((head.flags & RECORD_LIVING) != 0) {
            names_put(sim, &sim->names, path, inode);
        }
        if ((head.flags & RECORD_DURABLE) != 0) {
            names_put(sim, &sim->durable, path, inode);
        }
        if ((head.flags & RECORD_CHANGE) != 0) {
            note_change(sim, path, to, inode);
        }
        mem_free(path);
        mem_free(to);
    }
    for (size_t i = 0; i < count; i++) {
        inodes[i]->reported = 0;
    }
    mem_free(inodes);
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
