/*
 * shard/lease.h - a node's lease: the document nodes/NAME of the control store, bound to a lease.
 *
 * Who has it is the node of that name; the document's version is its epoch there, greater each time
 * it is taken. A node whose lease has ended, as far as it can know (it could not renew it in time,
 * or was stopped for longer than it lasts), answers no routed writes until it has it again.
 *
 * That no row is written at two nodes does not rest on this (SH2, SH3: buckets do). The lease is
 * for what a bucket's state cannot say: that of two processes that take themselves for one node,
 * the one that came last counts, and that a node nobody can reach stops by itself.
 *
 *   LE1. It counts from before it was asked for, and a tenth less than it was granted for: so it
 * has ended here before it has ended in the store. LE2. A process that starts takes the document
 * over, whoever had it: its own earlier life, which died, or a twin, which finds the version
 * changed and does not take it back while it is there.
 */
#ifndef SHARD_LEASE_H
#define SHARD_LEASE_H

#include "shard/ctl.h"

#define SHARD_NODES_PREFIX "nodes/"

struct shard_lease;

struct shard_lease_options {
    const char *where, *node; /* kept */
    unsigned ttl_s;
};
/* Starts a task that takes it and keeps it. Does not wait for it. */
enum err shard_lease_start(struct task *task, const struct shard_lease_options *options,
    struct shard_lease **lease, struct diag *diag);
/* Gives it back. */
void shard_lease_stop(struct task *task, struct shard_lease *lease);
/* By the clock, now. */
bool shard_lease_holds(const struct shard_lease *lease);
uint64_t shard_lease_epoch(const struct shard_lease *lease); /* of the last one; 0: never */
int64_t shard_lease_left_us(const struct shard_lease *lease);

#endif /* SHARD_LEASE_H */
