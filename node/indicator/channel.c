#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/indicator/channel_impl.h"
#include "node/log.h"
#include "proto/content.h"

#define SETTLE_MS 200   /* after a key was learned: at start and in catch-up many come together */

/* For the log; returns name. */
/* --- roots in --- */

struct arrival {
	struct pl_apply apply; /* first: cast back from it */
	struct pl_open open;
	struct pl_channels *channels;
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	uint64_t number, received_ms;
	uint8_t root[PL_CHANNEL_ROOT_BYTES];
};

static void free_arrival(struct arrival *arrival)
{
	sodium_memzero(arrival, sizeof(*arrival));
	free(arrival);
}

static enum pl_err arrival_work(struct pl_apply *apply, sqlite3 *db)
{
	struct arrival *arrival = (struct arrival *)(void *)apply;
	enum pl_err err = pl_entry_received(db, apply->node, apply->lane, apply->seq, &arrival->received_ms);
	if (err != PL_OK)
		return err;
	return pl_channels_insert_root(arrival->channels, db, apply->node, arrival->channel_id, arrival->number, arrival->received_ms,
	                               arrival->root, false);
}

static void arrival_dropped(struct pl_apply *apply)
{
	free_arrival((struct arrival *)(void *)apply);
}

static void arrival_done(struct pl_apply *apply)
{
	struct arrival *arrival = (struct arrival *)(void *)apply;
	struct pl_channels *channels = arrival->channels;
	if (!channels->stopped && channels->came != NULL)
		channels->came(channels->came_ctx, apply->node, arrival->channel_id);
	free_arrival(arrival);
}

/* Whether what the envelope held is a root; its author is the entry's, since the envelope is bound to it. */
static bool take_root(struct arrival *arrival)
{
	struct pl_channels *channels = arrival->channels;
	struct pl_channel_root root;
	char author[PL_NODE_NAME_BYTES];
	enum pl_err err = pl_channel_root_read(arrival->open.plain, arrival->open.plain_bytes, &root);
	if (err == PL_OK &&
	    (root.audience.bytes != strlen(PL_CHANNEL_AUDIENCE) ||
	     memcmp(root.audience.chars, PL_CHANNEL_AUDIENCE, strlen(PL_CHANNEL_AUDIENCE)) != 0))
		err = PL_ERR_VERSION;
	if (err != PL_OK) {
		PL_LOG(PL_LOG_WARNING, "channel", "another node's channel root is of no use",
		       PL_F_STR("author", pl_core_node_name(channels->core, arrival->apply.node, author)), PL_F_U64("seq", arrival->apply.seq),
		       PL_F_ERR(err));
		return false;
	}
	memcpy(arrival->channel_id, root.channel_id, sizeof(arrival->channel_id));
	memcpy(arrival->root, root.root, sizeof(arrival->root));
	arrival->number = root.number;
	sodium_memzero(&root, sizeof(root));
	return true;
}

static void opened(struct pl_open *open)
{
	char author[PL_NODE_NAME_BYTES];
	struct arrival *arrival = open->ctx;
	struct pl_channels *channels = arrival->channels;
	bool keep = open->err == PL_OK && take_root(arrival);
	/* PL_ERR_NO_KEY is the rule: these go to some nodes at a time */
	if (open->err != PL_OK && open->err != PL_ERR_NO_KEY && open->err != PL_ERR_MEMORY && open->err != PL_ERR_STATE)
		PL_LOG(PL_LOG_WARNING, "channel", "another node's channel root does not open",
		       PL_F_STR("author", pl_core_node_name(channels->core, arrival->apply.node, author)), PL_F_U64("seq", arrival->apply.seq),
		       PL_F_ERR(open->err));
	const enum pl_err err = open->err;
	pl_open_wipe(open);
	if (keep) {
		pl_apply(channels->applier, &arrival->apply);
		return;
	}
	if (err == PL_ERR_MEMORY || err == PL_ERR_STATE)
		pl_apply_later(channels->applier, arrival->apply.node, arrival->apply.lane, arrival->apply.seq);
	else
		pl_apply_skip(channels->applier, arrival->apply.node, arrival->apply.lane, arrival->apply.seq);
	free_arrival(arrival);
}

void pl_channels_entry(struct pl_channels *channels, const struct pl_store_entry *entry)
{
	if (entry->node == pl_core_self(channels->core)) { /* our own roots are in the store before they are sent */
		pl_apply_skip(channels->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	struct arrival *arrival = calloc(1, sizeof(*arrival));
	if (arrival == NULL) {
		pl_apply_later(channels->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	arrival->channels = channels;
	arrival->received_ms = entry->received_ms;
	arrival->apply = (struct pl_apply){ .node = entry->node, .lane = entry->lane, .seq = entry->seq, .work = arrival_work,
	                                    .done = arrival_done, .dropped = arrival_dropped };
	arrival->open.done = opened;
	arrival->open.ctx = arrival;
	pl_epoch_open(channels->epoch, entry, &arrival->open);
}

/* --- the part --- */

static void key_learned(void *ctx, uint16_t node)
{
	struct pl_channels *channels = ctx;
	if (node != pl_core_self(channels->core) && !uv_is_active((uv_handle_t *)&channels->timer))
		pl_channels_schedule(channels, SETTLE_MS);
}

enum pl_err pl_channels_new(struct pl_core *core, struct pl_applier *applier, struct pl_epoch *epoch, struct pl_channels **out,
                            char *why, size_t why_max)
{
	struct pl_channels *channels = calloc(1, sizeof(*channels));
	if (channels == NULL) {
		(void)snprintf(why, why_max, "no memory for the channels");
		return PL_ERR_MEMORY;
	}
	channels->core = core;
	channels->applier = applier;
	channels->epoch = epoch;
	uv_timer_init(pl_core_loop(core), &channels->timer);
	channels->timer.data = channels;
	pl_epoch_listen(epoch, key_learned, channels);
	*out = channels;
	return PL_OK;
}

void pl_channels_listen(struct pl_channels *channels, void (*came)(void *ctx, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES]),
                        void *ctx)
{
	assert(channels->came == NULL);
	channels->came = came;
	channels->came_ctx = ctx;
}

void pl_channels_start(struct pl_channels *channels)
{
	pl_channels_schedule(channels, SETTLE_MS);
}

void pl_channels_stop(struct pl_channels *channels)
{
	if (channels->stopped)
		return;
	channels->stopped = true;
	uv_close((uv_handle_t *)&channels->timer, NULL);
}

void pl_channels_free(struct pl_channels *channels)
{
	free(channels);
}
