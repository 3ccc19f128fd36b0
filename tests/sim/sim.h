/*
 * tests/sim/sim.h - what the simulation's files share.
 *
 * A *run* is one seed: several *lives* of a server on one simulated disk, each ended by a crash, by
 * a fault or by a clean stop, and after each the question whether everything promised is there. A
 * life is a process of its own (fork), so that a crash frees all memory and every global is as new;
 * what clients know outlives it in shared memory (struct kept).
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdio.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"
#include "server/server.h"
#include "tests/sim/client.h"
#include "world/world.h"

/* ---- what outlives a life ---------------------------------------------------------------------
 */

struct bank;
struct lists;
struct model;
struct side;
struct sagas;

enum {
    SIM_TEXT_MAX = 2048,
};

struct kept {
    size_t used;      /* of the region that begins with this */
    uint64_t chance;  /* state of the clients' dice */
    uint64_t trace;   /* of all lives so far */
    int64_t clock_us; /* where this life's clock begins */
    bool set_up;      /* the tables have been acknowledged */
    bool damaged;     /* the disk has lied or rotted: whatever is noticed is right */
    bool refused;     /* and was */
    bool faulty;      /* a life had a disk that fails */
    bool lied;
    bool template; /* no run: the database that runs begin with is being made */
    uint64_t statements, commits, unknown, ios;
    bool skewed; /* a history at REPEATABLE READ has write skew */
    char failure[SIM_TEXT_MAX];
    uint8_t *disk; /* what the last life left */
    size_t disk_size;
    struct bank *bank;
    struct lists *lists;
    struct model *model;
    struct side *side;
    struct sagas *sagas;
};
extern struct kept *kept;

void kept_create(void);
/* As new, for the next run. */
void kept_reset(uint64_t seed);
/* Zeroed; never freed, gone with the run. */
void *kept_alloc(size_t size);
uint64_t kept_draw(uint64_t bound);
static inline bool
kept_one_in(uint64_t bound)
{
    return kept_draw(bound) == 0;
}

/* The run has failed: say why and end the process. */
_Noreturn void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A step of the story, shown with --verbose. */
void sim_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern bool sim_verbose;

/* ---- a life ------------------------------------------------------------------------------------
 */

enum sim_workload {
    SIM_BANK = 1,
    SIM_LISTS = 2,
    SIM_MODEL = 4,
    SIM_ADMIN = 8,
    SIM_SAGAS = 16,
};

struct life {
    unsigned number;
    bool last;
    struct world_sim_options world;
    enum world_sim_end end;
    struct server_options server;
    uint64_t cache_size;
    int workloads;     /* set of enum sim_workload */
    unsigned clients;  /* of bank and lists, each */
    unsigned steps;    /* of each client */
    unsigned fat;      /* 0, or how large values may be */
    unsigned rows;     /* of the model's tables, at most */
    int isolation;     /* of the lists: index of sim_isolations */
    bool faulty;       /* errors of the disk are to be expected */
    bool cuts;         /* connections break */
    bool sudden;       /* crashes at moments when a client has just been told something */
    struct world *now; /* the world itself */
};
extern struct life life;
extern const char *const sim_isolations[3]; /* read committed, repeatable read, serializable */

/* Run `life` to its end; called in its own process. */
_Noreturn void life_run(void);
/* In this process: a new database with our tables and nothing else done, as an image. */
void life_make_template(struct buffer *disk);

/* Time over all lives. */
int64_t sim_now_us(void);

/* An answer that is an error: is it one that this life allows? Fails the run if not. */
void sim_check_error(const struct client *client, const char *doing);
/* Fails the run unless `client` got its answer, or has lost its connection. True if it got it. */
bool sim_must(struct client *client, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The client has just been told something that must hold for ever: now would be a bad moment for a
 * crash, so in a sudden life one in `bound` of these is one. */
void sim_tempt(struct client *client, uint64_t bound);

/* ---- workloads ---------------------------------------------------------------------------------
 *
 * create: in kept memory, once a run. set_up: statements that make the tables, in a transaction of
 * the caller's. verify: after a life's beginning, what is in the database against what is known,
 * and what was unknown gets known. step: one transaction or so; false if the connection is lost.
 */
void bank_create(void);
void bank_set_up(struct client *client);
bool bank_verify(struct client *client);
bool bank_step(struct client *client);
/* Sum and newest transfers, in the caller's transaction; bank_shown: it has ended well, so that
 * what was seen must be there for ever. */
bool bank_look(struct client *client);
void bank_shown(struct client *client);

void lists_create(void);
void lists_set_up(struct client *client);
bool lists_verify(struct client *client);
bool lists_step(struct client *client);
/* All lives are over: is the history what its isolation level promises? */
void lists_judge(void);

void model_create(void);
void model_set_up(struct client *client);
bool model_verify(struct client *client);
bool model_step(struct client *client);

void sagas_create(void);
const char *sagas_history(void); /* of this run: tusk.saga_history */
void sagas_set_up(struct client *client);
bool sagas_verify(struct client *client);
bool sagas_step(struct client *client);
/* Nobody is at work any more: wait until all have ended, and verify what they have left. */
bool sagas_settle(struct client *client);

void side_create(void);
bool side_step(struct client *client); /* the admin's */

#endif /* TESTS_SIM_SIM_H */
