/* Inside the epoch part: epoch_own.c makes, publishes and wipes own keys, epoch.c learns those of others, epoch_work.c uses both,
 * epoch_ack.c acknowledges those of others and finds out which own ones are out of use. */
#ifndef PL_NODE_EPOCH_IMPL_H
#define PL_NODE_EPOCH_IMPL_H

#include "node/epoch/epoch.h"
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

	/* epoch_ack.c; by node, numbers of its keys */
	uint64_t floors[PL_NODES_MAX]; /* no older key is sealed to */
	uint64_t acked[PL_NODES_MAX];  /* the same as far as it is durable: what is published */
	uint64_t settled;              /* nothing that is sealed to older keys of this node can still come */
	bool checking;
	struct pl_job check;
	uint64_t check_number;

	size_t listeners_count;
	struct {
		void (*learned)(void *ctx, uint16_t node);
		void *ctx;
	} listeners[PL_EPOCH_LISTENERS_MAX];

	/* epoch_work.c */
	struct pl_seal_work *sealing;
	size_t opening;        /* work that holds secrets */
	bool wipe_due;         /* wiping waits for it */
	size_t pool_running;   /* of what is not urgent */
	struct pl_open_work *pool_first, *pool_last;
};

/* The public key that goes with pl_epoch_current(); NULL. */
const uint8_t *pl_epoch_current_public(const struct pl_epoch *epoch, uint16_t node, struct pl_epoch_info *out);
/* The lowest number of a key of this node that something is being sealed to; UINT64_MAX. */
uint64_t pl_epoch_sealing(const struct pl_epoch *epoch, uint16_t node);
/* Secrets whose validity covers the time, give or take PL_EPOCH_OPEN_SLACK_MS. */
#define PL_EPOCH_OPEN_SLACK_MS 3600000ULL
size_t pl_epoch_secrets_at(const struct pl_epoch *epoch, uint64_t time_ms, struct pl_envelope_key out[PL_EPOCH_OWN_MAX]);
/* Does what is due, and sees to being called again. */
void pl_epoch_tick(struct pl_epoch *epoch);
PL_MUST_CHECK enum pl_err pl_epoch_load_own(struct pl_epoch *epoch, sqlite3 *db, char *why, size_t why_max);
/* Wipes what is due; postponed while secrets are in use. */
void pl_epoch_wipe_due(struct pl_epoch *epoch);

/* epoch_ack.c. As an author: raises the floors to the keys of others that are in use now, for an entry to come; then makes that durable, in
 * the job that keeps the new key; then, when it is, puts it into the entry, with what goes for this node itself. */
void pl_epoch_ack_raise(struct pl_epoch *epoch, uint64_t acked[PL_NODES_MAX]);
PL_MUST_CHECK enum pl_err pl_epoch_ack_record(sqlite3 *db, const uint64_t acked[PL_NODES_MAX]);
void pl_epoch_ack_fill(const struct pl_epoch *epoch, struct pl_epoch_key *key);
/* As an owner: what an entry acknowledges of this node's keys. fault: why it does not count, for the log; NULL. */
struct pl_ack_seen {
	uint64_t number; /* 0: nothing */
	uint64_t heads[2]; /* of the author's lanes 1 and 2 */
	const char *fault;
};
void pl_epoch_ack_find(const struct pl_epoch *epoch, const struct pl_epoch_key *key, const struct pl_header *header,
                       struct pl_ack_seen *out);
PL_MUST_CHECK enum pl_err pl_epoch_ack_keep(struct pl_ack_seen *seen, uint16_t node, sqlite3 *db); /* with the entry's place */
PL_MUST_CHECK enum pl_err pl_epoch_ack_prune(sqlite3 *db);
/* Sees which own keys are out of use, and wipes these. */
void pl_epoch_ack_check(struct pl_epoch *epoch);
PL_MUST_CHECK enum pl_err pl_epoch_ack_load(struct pl_epoch *epoch, sqlite3 *db);

#endif
