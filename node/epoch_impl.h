/* Inside the epoch part: epoch_own.c makes, publishes and wipes own keys, epoch.c learns those of others, epoch_work.c uses both. */
#ifndef PL_NODE_EPOCH_IMPL_H
#define PL_NODE_EPOCH_IMPL_H

#include "node/epoch.h"
#include "proto/content.h"

#define PL_EPOCH_OWN_MAX 32        /* one a day, kept 16 days at most; twice that for clocks that jump */
#define PL_EPOCH_KEPT_PER_NODE 3   /* keys of another node: two overlap, and one that is valid from tomorrow */
#define PL_EPOCH_LISTENERS_MAX 4

struct pl_own_key {
	struct pl_epoch_info info;
	uint64_t seq;    /* of its entry in lane 0; 0: not published yet, or the entry has not come by yet */
	uint64_t spent_since_ms; /* monotonic: since when wiping has been due; 0: it is not */
	uint8_t *secret; /* in the arena */
	uint8_t public_key[PL_EPOCH_PUBLIC_BYTES];
};

struct pl_other_keys {
	uint8_t count;
	struct {
		struct pl_epoch_info info;
		uint8_t public_key[PL_EPOCH_PUBLIC_BYTES];
	} keys[PL_EPOCH_KEPT_PER_NODE]; /* by number, newest first */
};

struct pl_epoch {
	struct pl_core *core;
	struct pl_applier *applier;
	bool stopped, saving, submitting;
	uint64_t last_number;  /* of own keys, wiped ones too */
	uint8_t *arena;        /* sodium_malloc'd: PL_EPOCH_OWN_MAX secrets */
	size_t own_count;
	struct pl_own_key own[PL_EPOCH_OWN_MAX]; /* by number, oldest first */
	struct pl_other_keys *others[PL_NODES_MAX];
	uv_timer_t timer;

	size_t listeners_count;
	struct {
		void (*learned)(void *ctx, uint16_t node);
		void *ctx;
	} listeners[PL_EPOCH_LISTENERS_MAX];

	/* epoch_work.c */
	size_t opening;        /* work that holds secrets */
	bool wipe_due;         /* wiping waits for it */
	size_t pool_running;   /* of what is not urgent */
	struct pl_open_work *pool_first, *pool_last;
};

/* The public key that goes with pl_epoch_current(); NULL. */
const uint8_t *pl_epoch_current_public(const struct pl_epoch *epoch, uint16_t node);
/* Secrets whose validity covers the time, give or take PL_EPOCH_OPEN_SLACK_MS. */
#define PL_EPOCH_OPEN_SLACK_MS 3600000ULL
size_t pl_epoch_secrets_at(const struct pl_epoch *epoch, uint64_t time_ms, struct pl_envelope_key out[PL_EPOCH_OWN_MAX]);
/* Does what is due, and sees to being called again. */
void pl_epoch_tick(struct pl_epoch *epoch);
PL_MUST_CHECK enum pl_err pl_epoch_load_own(struct pl_epoch *epoch, sqlite3 *db, char *why, size_t why_max);
/* Wipes what is due; postponed while secrets are in use. */
void pl_epoch_wipe_due(struct pl_epoch *epoch);

#endif
