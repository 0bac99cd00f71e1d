/* Entries on their way to the application: one at a time per lane, in order, from memory when it keeps up and from the store when it does
 * not, so that nothing piles up in memory however far it is behind. */
#include <stdlib.h>
#include <string.h>

#include "node/core_impl.h"

#define TOKEN_FLAG 0x80000000u /* the engine's own tokens count up from 1 */
#define BATCH_BYTES (256u * 1024)
#define RETRY_MS 1000

static struct feed *feed_of(struct pl_core *core, uint16_t node, uint8_t lane)
{
	return &core->feeds[(uint32_t)node * PL_LANES + lane];
}

void pl_feed_restore(struct pl_core *core, uint16_t node, uint8_t lane, uint64_t durable)
{
	feed_of(core, node, lane)->durable = durable;
}

enum pl_err pl_feed_read_applied(struct pl_core *core)
{
	sqlite3_stmt *stmt = pl_store_prepare(pl_store_db(core->store), "SELECT node, lane, seq FROM applied");
	int rc;

	if (!stmt)
		return PL_ERR_IO;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const int64_t node = sqlite3_column_int64(stmt, 0), lane = sqlite3_column_int64(stmt, 1);
		if (node >= 0 && node < core->charter->nodes_count && lane >= 0 && lane < PL_LANES)
			feed_of(core, (uint16_t)node, (uint8_t)lane)->applied = (uint64_t)sqlite3_column_int64(stmt, 2);
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? PL_OK : PL_ERR_IO;
}

static void offer(struct pl_core *core, struct feed *feed, const struct pl_store_entry *entry)
{
	feed->busy = true;
	pl_app_entry(core->app, entry);
}

/* The next entry of the batch at hand; false if there is none. */
static bool offer_from_batch(struct pl_core *core, struct feed *feed)
{
	struct pl_store_entry entry;

	while (feed->batch && feed->batch_at < feed->batch_bytes) {
		memcpy(&entry, feed->batch + feed->batch_at, sizeof(entry));
		entry.body = feed->batch + feed->batch_at + sizeof(entry);
		feed->batch_at += sizeof(entry) + entry.body_bytes;
		if (entry.seq != feed->applied + 1)
			continue;
		offer(core, feed, &entry);
		return true;
	}
	free(feed->batch);
	feed->batch = NULL;
	return false;
}

static void on_retry(uv_timer_t *timer)
{
	pl_feed_start(timer->data);
}

/* For want of memory an entry could not be read. */
static void pump_later(struct pl_core *core)
{
	if (!core->stopping && !uv_is_active((uv_handle_t *)&core->feed_timer))
		uv_timer_start(&core->feed_timer, on_retry, RETRY_MS, 0);
}

static void pump(struct pl_core *core, uint32_t index)
{
	struct feed *feed = &core->feeds[index];

	while (!feed->busy && !feed->loading && feed->applied < feed->durable && !core->stopping) {
		if (offer_from_batch(core, feed))
			continue;
		if (pl_store_load(core->store, TOKEN_FLAG | index, (uint16_t)(index / PL_LANES), (uint8_t)(index % PL_LANES), feed->applied + 1,
		                  feed->durable, BATCH_BYTES) == PL_OK)
			feed->loading = true;
		else
			pump_later(core);
		return;
	}
}

void pl_feed_start(struct pl_core *core)
{
	for (uint32_t index = 0; index < (uint32_t)core->charter->nodes_count * PL_LANES; index++)
		pump(core, index);
}

void pl_feed_stored(struct pl_core *core, const struct pl_store_entry *entry)
{
	struct feed *feed = feed_of(core, entry->node, entry->lane);

	feed->durable = entry->seq;
	if (core->stopping)
		return;
	if (!feed->busy && !feed->loading && !feed->batch && feed->applied + 1 == entry->seq)
		offer(core, feed, entry);
	pump(core, (uint32_t)entry->node * PL_LANES + entry->lane);
}

void pl_feed_damaged(struct pl_core *core, uint16_t node, uint8_t lane, uint64_t seq)
{
	feed_of(core, node, lane)->damaged = seq;
}

void pl_feed_readable(struct pl_core *core, uint16_t node, uint8_t lane)
{
	feed_of(core, node, lane)->damaged = 0;
	pump(core, (uint32_t)node * PL_LANES + lane);
}

bool pl_feed_loaded(struct pl_core *core, uint32_t token, const struct pl_stored_entry *entries, size_t count)
{
	size_t bytes = 0;

	if (!(token & TOKEN_FLAG))
		return false;
	const uint32_t index = token & ~TOKEN_FLAG;
	struct feed *feed = &core->feeds[index];
	feed->loading = false;
	for (size_t i = 0; i < count; i++)
		bytes += sizeof(struct pl_store_entry) + entries[i].body_bytes;
	feed->batch = bytes > 0 ? malloc(bytes) : NULL;
	feed->batch_at = feed->batch_bytes = 0;
	for (size_t i = 0; feed->batch && i < count; i++) {
		const uint8_t *header = entries[i].header;
		struct pl_store_entry entry = { .node = (uint16_t)(index / PL_LANES), .lane = (uint8_t)(index % PL_LANES),
		                                .seq = pl_header_seq(header), .gseq = pl_header_gseq(header), .body_bytes = entries[i].body_bytes };
		memcpy(entry.header, header, PL_ENTRY_HEADER_BYTES);
		pl_entry_id(core->charter->network_id, header, entry.id);
		memcpy(feed->batch + feed->batch_bytes, &entry, sizeof(entry));
		if (entry.body_bytes > 0)
			memcpy(feed->batch + feed->batch_bytes + sizeof(entry), entries[i].body, entry.body_bytes);
		feed->batch_bytes += sizeof(entry) + entry.body_bytes;
	}
	/* Nothing came although the store has it: an entry that the disk has changed, and the application cannot go past it until it is back; or the
	 * store had no memory to read it. */
	if (feed->batch)
		pump(core, index);
	else if (feed->damaged != feed->applied + 1)
		pump_later(core);
	return true;
}

void pl_core_applied(struct pl_core *core, uint16_t node, uint8_t lane, uint64_t seq)
{
	struct feed *feed = feed_of(core, node, lane);

	feed->busy = false;
	if (seq > feed->applied)
		feed->applied = seq;
	pump(core, (uint32_t)node * PL_LANES + lane);
}

void pl_core_offer_again(struct pl_core *core, uint16_t node, uint8_t lane)
{
	feed_of(core, node, lane)->busy = false;
	pump(core, (uint32_t)node * PL_LANES + lane);
}

void pl_feed_free(struct pl_core *core)
{
	for (uint32_t i = 0; core->feeds && i < (uint32_t)core->charter->nodes_count * PL_LANES; i++)
		free(core->feeds[i].batch);
	free(core->feeds);
}
