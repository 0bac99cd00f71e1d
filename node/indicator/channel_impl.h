/* What the files of the channels share; channel.h says which does what. */
#ifndef PL_NODE_CHANNEL_IMPL_H
#define PL_NODE_CHANNEL_IMPL_H

#include "node/indicator/channel.h"

#define PL_CHANNEL_AUDIENCE "all"

struct pl_channels {
	struct pl_core *core;
	struct pl_applier *applier;
	struct pl_epoch *epoch;
	bool stopped;
	bool sending; /* one envelope is under way */
	bool again;   /* look once more when it is done */
	uint64_t told_ms; /* when the log last said that a root could not be sent; 0: never, or it has been since */
	uv_timer_t timer;
	void (*came)(void *ctx, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES]);
	void *came_ctx;
};

/* --- channel_roots.c: worker thread --- */

/* One that is here already stays as it is. */
PL_MUST_CHECK enum pl_err pl_channels_insert_root(const struct pl_channels *channels, sqlite3 *db, uint16_t node,
                                                  const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint64_t number, uint64_t created_ms,
                                                  const uint8_t root[PL_CHANNEL_ROOT_BYTES], bool own);
/* From a column of a row of channel_root. PL_ERR_CORRUPT. */
PL_MUST_CHECK enum pl_err pl_channels_open_root(const struct pl_channels *channels, sqlite3_stmt *statement, int column, uint16_t node,
                                                const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint8_t root[PL_CHANNEL_ROOT_BYTES]);

/* --- channel_send.c --- */

/* pl_channels_distribute(), after a while. */
void pl_channels_schedule(struct pl_channels *channels, uint64_t delay_ms);

#endif
