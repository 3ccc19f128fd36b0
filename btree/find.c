/*
 * btree/find.c - from the root to the page of a level where a key belongs.
 *
 * Optimistic all the way (B3): a version is noted, the page is looked at, and the answer counts
 * only if the version still stands. Whatever fails starts again from the root, which is cheap and
 * rare. Right links make a stale parent harmless (Lehman and Yao): a page that has split sends us
 * right.
 */
#include "base/assert.h"
#include "btree/btree_internal.h"

enum step {
    STEP_FOUND,
    STEP_AGAIN,
    STEP_MISS,    /* position->page_id is not in memory */
    STEP_DAMAGED, /* pages that pass their checksums make no tree */
};

enum {
    RIGHT_MOVES_MAX = 1 << 20, /* a ring of right links ends here */
};

static enum step
descend(struct btree *store, const struct tree *tree, uint16_t level, struct slice key,
    bool exclusive, struct position *position)
{
    uint64_t page_id = tree->root.v;
    struct frame *frame = store__frame(store, page_id);
    position->page_id = page_id;
    if (frame == NULL) {
        return STEP_MISS;
    }
    uint64_t version = version_latch_read(&frame->latch);
    uint16_t above = HEIGHT_MAX + 1; /* the level of the page we come from, if from above */
    uint32_t right_moves = 0;
    for (;;) {
        const struct page *page = store__page(store, frame);
        if (page__id_racy(page) != page_id) {
            return STEP_AGAIN; /* B5: the frame has changed hands */
        }
        store__touch(frame);
        uint16_t here = page__level_racy(page);
        uint64_t next = 0;
        /* No key data: the largest of all is wanted. */
        uint32_t count = page__count_racy(page);
        position->equal = false;
        position->slot = key.data == NULL ? count : page__find(page, key, &position->equal);
        /* Only a key behind all others can belong to the right of the page. */
        bool go_right = position->slot >= count && page__goes_right(page, key, exclusive);
        if (go_right) {
            next = page__right_racy(page);
        } else if (here > level) {
            next = page__child(page, position->slot, position->equal, exclusive);
        }
        if (!version_latch_check(&frame->latch, version)) {
            return STEP_AGAIN;
        }
        if ((next == 0 && (go_right || here != level)) || here >= above) {
            return STEP_DAMAGED;
        }
        if (go_right && ++right_moves > RIGHT_MOVES_MAX) {
            return STEP_DAMAGED;
        }
        above = go_right ? (uint16_t)(here + 1) : here;
        if (next == 0) {
            position->frame = frame;
            position->version = version;
            position->page_id = page_id;
            return STEP_FOUND;
        }
        struct frame *next_frame = store__frame(store, next);
        position->page_id = next;
        if (next_frame == NULL) {
            return version_latch_check(&frame->latch, version) ? STEP_MISS : STEP_AGAIN;
        }
        const uint8_t *soon = (const uint8_t *)store__page(store, next_frame);
        for (size_t line = 0; line < 1024; line += 64) {
            __builtin_prefetch(soon + line);
        }
        uint64_t next_version = version_latch_read(&next_frame->latch);
        if (!version_latch_check(&frame->latch, version)) {
            return STEP_AGAIN;
        }
        frame = next_frame;
        version = next_version;
        page_id = next;
    }
}

enum err
find__page(struct task *task, struct btree *store, const struct tree *tree, uint16_t level,
    struct slice key, bool exclusive, struct position *position, struct diag *diag)
{
    uint64_t gone = 0;
    for (;;) {
        switch (descend(store, tree, level, key, exclusive, position)) {
        case STEP_FOUND:
            return ERR_OK;
        case STEP_AGAIN:
            break;
        case STEP_MISS: {
            enum err err = store__load(task, store, position->page_id, false, diag);
            /* It may have been merged just now; but then nothing leads to it any more. */
            bool merged = err == ERR_CORRUPT && gone != position->page_id &&
                          !store__page_exists(store, position->page_id);
            if (err != ERR_OK && !merged) {
                return err;
            }
            gone = merged ? position->page_id : gone;
            break;
        }
        case STEP_DAMAGED:
            return diag_set(diag, ERR_CORRUPT, "tree %llu is damaged at page %llu of file \"%s\"",
                (unsigned long long)tree->id.v, (unsigned long long)position->page_id,
                world_file_path(store->file));
        }
    }
}

enum err
find__latched(struct task *task, struct btree *store, const struct tree *tree, uint16_t level,
    struct slice key, struct position *position, struct diag *diag)
{
    for (;;) {
        TRY(find__page(task, store, tree, level, key, false, position, diag));
        version_latch_acquire(&position->frame->latch);
        if (version_latch_check(&position->frame->latch, position->version + 1)) {
            return ERR_OK; /* ours is the only change since */
        }
        const struct page *page = store__page(store, position->frame);
        /* Between the check and the latch it may have split, or the root may have grown, or it was
         * merged and its id belongs to another page. */
        if (page->h.id == position->page_id && page->h.level == level &&
            page__covers(page, tree->id, key)) {
            position->slot = page__find(page, key, &position->equal);
            return ERR_OK;
        }
        version_latch_release_unchanged(&position->frame->latch);
    }
}
