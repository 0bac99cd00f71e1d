/* Encryption keys: this node's own, a new one every 24 h, and those that the other nodes publish. CRYPTO.md, "Envelope"; OPERATING.md,
 * "Messages, receipts and acknowledgement levels".
 *
 * An **epoch key** is an X-Wing key pair, numbered from 1. It is drawn at random, its secret is sealed in a file (epoch_file.h) and durable
 * before its public part leaves in an entry on lane 0, and it is wiped when nothing sealed to it can still be under way, at the latest
 * PL_EPOCH_KEY_KEEP_MS after its validity. So whoever takes this node's disk and passphrase cannot read what was wiped. Others say what
 * they will seal to no longer by acknowledgements, in the entries of their own keys.
 *
 * Other parts never see a secret: they hand over what is to be sealed or opened. The work is done on libuv's threads, what is urgent first.
 */
#ifndef PL_NODE_EPOCH_H
#define PL_NODE_EPOCH_H

#include "crypto/envelope.h"
#include "node/apply.h"
#include "node/core.h"

struct pl_epoch;

/* Reads the keys from the store, before its worker runs, and from the file beside it. why gets a sentence on error. */
PL_MUST_CHECK enum pl_err pl_epoch_new(struct pl_core *core, struct pl_applier *applier, struct pl_epoch **out, char *why, size_t why_max);
/* Makes and publishes a key if one is due, now and from then on. */
void pl_epoch_start(struct pl_epoch *epoch);
void pl_epoch_stop(struct pl_epoch *epoch);
void pl_epoch_free(struct pl_epoch *epoch); /* after the loop has run out; wipes */

/* A PL_KIND_EPOCH_KEY entry. */
void pl_epoch_entry(struct pl_epoch *epoch, const struct pl_store_entry *entry);

/* The key to seal to now: the newest of this node that is valid, clocks differing by PL_CLOCK_SKEW_FLAG_MS at most. */
struct pl_epoch_info {
	uint64_t number, valid_from_ms, valid_until_ms;
};
bool pl_epoch_current(const struct pl_epoch *epoch, uint16_t node, struct pl_epoch_info *out /* or NULL */); /* false: there is none */
/* The newest own key of which an entry stands in the feed and the secret is here, if it is valid; and when the oldest such key was made. false:
 * there is none, and what is sealed to this node now cannot be opened here. */
bool pl_epoch_published(const struct pl_epoch *epoch, struct pl_epoch_info *out, uint64_t *secrets_since_ms);
/* What to do when a key of a node was learned, for work that waited for it. At most 4 listeners. */
void pl_epoch_listen(struct pl_epoch *epoch, void (*learned)(void *ctx, uint16_t node), void *ctx);

/* Seals to the current keys of nodes. */
struct pl_seal {
	uint8_t kind;          /* of the entry that the envelope will be */
	bool urgent;
	uint16_t nodes_count;  /* 1..PL_SLOTS_MAX */
	uint16_t nodes[PL_SLOTS_MAX];
	const uint8_t *plain;  /* the caller's until done */
	size_t plain_bytes;
	/* Loop thread, perhaps before pl_epoch_seal() returns. Takes envelope over (free()), wipes cek. If it is to be an entry, it is given
	 * to pl_core_submit() before this returns, and afterwards never: later entries of this node's feed may acknowledge newer keys. */
	void (*done)(struct pl_seal *seal);
	void *ctx;

	enum pl_err err;       /* PL_ERR_NO_KEY: missing has no current key; PL_ERR_LIMIT, PL_ERR_MEMORY */
	uint16_t missing;
	uint8_t *envelope;     /* NULL on error */
	size_t envelope_bytes;
	uint8_t cek[PL_CEK_BYTES];
};
void pl_epoch_seal(struct pl_epoch *epoch, struct pl_seal *seal);

/* Opens an entry's envelope with every own key that was valid at the time which the entry claims (an hour more or less: clocks). */
struct pl_open {
	/* Loop thread, perhaps before pl_epoch_open() returns. Takes plain over: pl_open_wipe(). */
	void (*done)(struct pl_open *open);
	void *ctx;

	struct pl_store_entry entry; /* a copy, body included */
	struct pl_header header;     /* the same, decoded */
	enum pl_err err;             /* as of pl_envelope_open() */
	uint8_t *plain;
	size_t plain_bytes;
	uint8_t cek[PL_CEK_BYTES];
};
/* entry is copied. */
void pl_epoch_open(struct pl_epoch *epoch, const struct pl_store_entry *entry, struct pl_open *open);
void pl_open_wipe(struct pl_open *open); /* plain, cek and the copy; not open itself */

#endif
