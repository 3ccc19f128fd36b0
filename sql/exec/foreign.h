/* sql/exec/foreign.h - foreign keys inside the executor: foreign.c, deferred.c. */
#ifndef SQL_EXEC_FOREIGN_H
#define SQL_EXEC_FOREIGN_H

#include "sql/exec/exec_internal.h"

enum foreign_kind {
    FOREIGN_EVENT_CHECK,  /* of a row that refers to another */
    FOREIGN_EVENT_DELETE, /* of a row that is referred to */
    FOREIGN_EVENT_UPDATE, /* of its key */
};

struct foreign_event {
    struct foreign_event *next;
    struct arena *arena; /* where its values are */
    const struct foreign_key *key;
    enum foreign_kind kind;
    struct datum *old, *new; /* one per column of the key: CHECK: of the row; else of the key */
    struct slice row_key;    /* CHECK */
    /* deferred.c */
    oid_t key_oid, table;
    uint32_t done_depth; /* savepoints there were when it was done; NOT_DONE */
};

struct foreign_table {
    struct foreign_table *next;
    struct writer writer;
    struct expr **checks;    /* NULL: not bound yet */
    struct expr **generated; /* likewise, each */
};

/* What one statement has to check and do. */
struct foreign_work {
    struct exec_context context; /* its snapshot moves on */
    struct arena memory;         /* of events */
    struct arena scratch;        /* of the event in work */
    struct arena row;            /* of one row of a scan */
    struct buffer key;
    struct foreign_event *first, *last;
    size_t count;
    struct hash_table seen;
    struct foreign_table *tables;
    bool acted; /* rows may have changed since their events were made */
};

struct foreign_work *foreign__new(const struct exec_context *context);
void foreign__destroy(struct foreign_work *work); /* NULL: nothing */

/* A row was written. plain: this statement does nothing but insert, so what it has once asked for
 * it need not ask for again. */
void foreign__inserted(struct foreign_work *work, const struct relation *relation,
    const struct datum *row, struct slice row_key, bool plain);
void foreign__updated(struct foreign_work *work, const struct relation *relation,
    const struct datum *old, const struct datum *new, struct slice row_key, bool moved);
void foreign__deleted(
    struct foreign_work *work, const struct relation *relation, const struct datum *old);
/* Between rows of a long plain INSERT: does what can be done already. */
enum err foreign__relieve(
    struct task *task, struct foreign_work *work, const struct relation *relation);
/* All rows are written. May be called again after more of them. */
enum err foreign__finish(struct task *task, struct foreign_work *work);
enum err foreign__process(
    struct task *task, struct foreign_work *work, const struct foreign_event *event);

/* deferred.c; deferred may be NULL. */
bool deferred__is(const struct exec_deferred *deferred, const struct foreign_key *key);
struct foreign_event *deferred__add(
    struct exec_deferred *deferred, const struct foreign_key *key, enum foreign_kind kind);

#endif /* SQL_EXEC_FOREIGN_H */
