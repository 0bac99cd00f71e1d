/* Channels: the roots under which an author seals its indicators to every member, without a slot for each of them in each entry.
 * CRYPTO.md, "Channels"; OPERATING.md, "Indicators".
 *
 * A **root** is 32 random bytes with a random channel id. Its author makes a new one each epoch key period, when there is something to
 * seal, and sends it once, by envelopes on lane 1, to the nodes that have a current epoch key. A node that gets its key later (it was
 * away, or is new) is sent every root of ours that it lacks, in an envelope of its own. Roots are kept sealed in the store.
 *
 * An **item** is what is sealed under a root, on lane 2; its number is reserved in the store before it is used and never given out
 * twice, since it makes the key. Items overtake their root, being on another lane: such an entry is noted as waiting, the lane goes on,
 * and it is opened when the root comes.
 *
 *   channel.c         the part; roots that come in
 *   channel_roots.c   tables: roots, item numbers, entries that wait
 *   channel_send.c    roots that go out
 */
#ifndef PL_NODE_CHANNEL_H
#define PL_NODE_CHANNEL_H

#include "crypto/envelope.h"
#include "node/apply.h"
#include "node/core.h"
#include "node/epoch/epoch.h"

struct pl_channels;

/* why gets a sentence on error. PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_channels_new(struct pl_core *core, struct pl_applier *applier, struct pl_epoch *epoch,
                                          struct pl_channels **out, char *why, size_t why_max);
void pl_channels_start(struct pl_channels *channels);
void pl_channels_stop(struct pl_channels *channels);
void pl_channels_free(struct pl_channels *channels); /* after the loop has run out */

/* A PL_KIND_CHANNEL entry. */
void pl_channels_entry(struct pl_channels *channels, const struct pl_store_entry *entry);

/* What to do, on the loop's thread, when a root has come. One listener. */
void pl_channels_listen(struct pl_channels *channels, void (*came)(void *ctx, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES]),
                        void *ctx);
/* Roots of ours that are new, or that a node lacks, are sent out. To be called once pl_channels_reserve() has been committed. */
void pl_channels_distribute(struct pl_channels *channels);

/* --- worker thread, in jobs --- */

/* Item numbers of this node's current root, durable when the job is; the root is made if there is none or it is too old. Wipe out. */
struct pl_channel_ticket {
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	uint8_t root[PL_CHANNEL_ROOT_BYTES];
	uint64_t first_item;
};
PL_MUST_CHECK enum pl_err pl_channels_reserve(struct pl_channels *channels, sqlite3 *db, uint64_t wall_ms, uint64_t items,
                                              struct pl_channel_ticket *out);

/* The root of an author's channel. PL_ERR_UNKNOWN: it is not here (yet). */
PL_MUST_CHECK enum pl_err pl_channels_root(const struct pl_channels *channels, sqlite3 *db, uint16_t node,
                                           const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint8_t root[PL_CHANNEL_ROOT_BYTES]);

/* Entries of lane 2 that wait for their root: note one, take its note away, and the first one of a channel (PL_ERR_UNKNOWN: none waits). */
PL_MUST_CHECK enum pl_err pl_channels_wait(sqlite3 *db, uint16_t node, uint64_t seq, const uint8_t channel_id[PL_CHANNEL_ID_BYTES]);
PL_MUST_CHECK enum pl_err pl_channels_unwait(sqlite3 *db, uint16_t node, uint64_t seq);
PL_MUST_CHECK enum pl_err pl_channels_first_waiting(sqlite3 *db, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES],
                                                    uint64_t *seq);
/* Channels whose root is here and for which entries wait: a stop came between the two. Before the worker runs. */
PL_MUST_CHECK enum pl_err pl_channels_each_waiting(sqlite3 *db, void (*each)(void *ctx, uint16_t node,
                                                   const uint8_t channel_id[PL_CHANNEL_ID_BYTES]), void *ctx);

#endif
