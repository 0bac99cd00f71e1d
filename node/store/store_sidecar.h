/* The sidecar PATH.feed: what this node has reserved and committed of its own feed, kept apart from the database, so that a database
 * restored from a copy is noticed before it signs a place twice. OPERATING.md, "Backups".
 *
 * Three blocks of 4,096 bytes: 0 and 1 hold reservations, written in turn and synced before the commit that needs them (a torn one leaves
 * the other); block 2 holds what is committed, written after each commit without waiting: it survives the end of the process, and
 * whatever the machine's end leaves of it is checked by its hash.
 */
#ifndef PL_NODE_STORE_SIDECAR_H
#define PL_NODE_STORE_SIDECAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "proto/limits.h"

#define PL_INCARNATION_BYTES 16
#define PL_SIDECAR_BLOCK 64    /* places reserved at a time, so that one sync serves many commits */
#define PL_SIDECAR_GROUP_MAX 64 /* own entries of a lane in one transaction at most, so that the bound below holds */
/* A reservation runs ahead of the commit by less than this. A crash can leave it so; a longer lead is a restored copy. */
#define PL_SIDECAR_LEAD_MAX (PL_SIDECAR_BLOCK + PL_SIDECAR_GROUP_MAX)

#define PL_SIDECAR_WHY_BYTES 256

struct pl_sidecar {
	int fd; /* -1: none */
	bool frozen;
	bool is_older; /* the store, for certain: it has to be told so for good */
	char why[PL_SIDECAR_WHY_BYTES]; /* not frozen, and not "": a warning */
	uint8_t incarnation[PL_INCARNATION_BYTES];
	uint64_t serial; /* of the last reservation written */
	uint64_t reserved[PL_LANES];
};

/* Reads the sidecar and judges the store: its incarnation and the heads of its own lanes. For a store that is about to be made, is_new, it
 * makes the sidecar first, so that a store without one has lost it. sidecar->frozen, with a sentence in sidecar->why, when the store is not the
 * newest, or nobody can tell. A frozen sidecar is never written. PL_ERR_REFUSED (locked by another process), PL_ERR_IO,
 * PL_ERR_DISK_FULL. */
PL_MUST_CHECK enum pl_err pl_sidecar_open(struct pl_sidecar *sidecar, const char *path, const uint8_t incarnation[PL_INCARNATION_BYTES],
                                       const uint64_t heads[PL_LANES], bool is_new, char *why, size_t why_max);
/* Before a commit that brings own lanes to these heads (0: not this lane): makes sure that they are reserved, durably. Does nothing when
 * frozen: such entries come from peers. PL_ERR_IO, PL_ERR_DISK_FULL. */
PL_MUST_CHECK enum pl_err pl_sidecar_reserve(struct pl_sidecar *sidecar, const uint64_t heads[PL_LANES]);
/* After the commit: all own lanes stand at these heads. */
void pl_sidecar_committed(struct pl_sidecar *sidecar, const uint64_t heads[PL_LANES]);
void pl_sidecar_close(struct pl_sidecar *sidecar);

#endif
