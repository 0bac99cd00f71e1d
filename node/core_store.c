/* Between store and engine: what has become durable, what has not, and how much room there is. */
#include <stdlib.h>
#include <string.h>

#include "node/core_impl.h"
#include "node/log.h"

/* --- room on the disk --- */

struct pl_core_room pl_core_room(const struct pl_core *core) { return core->room; }

static void on_room_timer(uv_timer_t *timer)
{
	pl_core_read_clocks(timer->data);
	pl_core_look_for_room(timer->data);
}

void pl_core_look_for_room(struct pl_core *core)
{
	uint64_t free_bytes;
	struct pl_event event = { .type = PL_EV_ROOM, .room = { PL_LANES, UINT64_MAX } };

	uv_timer_start(&core->room_timer, on_room_timer, PL_ROOM_LOOK_MS, 0);
	/* Where it cannot be known, a full disk shows when it is written to. */
	core->room_is_known = pl_room_look(core->conf->store_file, &free_bytes, &core->room_total_bytes) == PL_OK;
	if (core->room_is_known) {
		const uint64_t total_bytes = core->room_total_bytes, reserve_bytes = core->conf->reserve_bytes;
		event.room.lanes = pl_room_lanes(free_bytes, total_bytes, reserve_bytes, core->room.lanes);
		core->room.free_bytes = free_bytes;
		event.room.lane_bytes_max = pl_room_member_bytes(total_bytes, reserve_bytes, (uint8_t)core->conf->member_percent);
	}
	if (event.room.lanes == core->room.lanes) {
		if (event.room.lane_bytes_max != core->lane_bytes_max)
			pl_core_event(core, &event);
		core->lane_bytes_max = event.room.lane_bytes_max;
		return;
	}
	core->lane_bytes_max = event.room.lane_bytes_max;
	if (event.room.lanes < core->room.lanes)
		PL_LOG(PL_LOG_WARNING, "store", event.room.lanes == PL_LANES - 1 ? "little room on the disk: indicators and attachments wait" :
		                                                                   "little room on the disk: all but urgent messages waits",
		       PL_F_U64("free_bytes", core->room.free_bytes), PL_F_U64("reserve_bytes", core->conf->reserve_bytes));
	else
		PL_LOG(PL_LOG_INFO, "store", "more room on the disk", PL_F_U64("free_bytes", core->room.free_bytes),
		       PL_F_U64("lanes", event.room.lanes));
	core->room.lanes = event.room.lanes;
	pl_core_event(core, &event);
	pl_app_store(core->app);
}

bool pl_core_find_room(struct pl_core *core, uint64_t bytes)
{
	pl_core_look_for_room(core);
	if (core->room.lanes < PL_LANES || !core->room_is_known)
		return core->room.lanes == PL_LANES;
	const uint64_t left_bytes = core->room.free_bytes > bytes ? core->room.free_bytes - bytes : 0;
	return pl_room_lanes(left_bytes, core->room_total_bytes, core->conf->reserve_bytes, PL_LANES) == PL_LANES;
}

/* --- store: its worker starts when the application is there --- */

static void submissions_done(struct pl_core *core, const struct pl_store_entry *entry)
{
	/* Own entries of a lane become durable in order, but lanes overtake one another. */
	for (struct submission **at = &core->submissions; *at; at = &(*at)->next) {
		struct submission *submission = *at;
		if (submission->lane != entry->lane || submission->seq != entry->seq)
			continue;
		*at = submission->next;
		if (!*at)
			core->submissions_last = at;
		submission->done(submission->ctx, PL_OK, entry);
		free(submission);
		return;
	}
}

void pl_core_submissions_fail(struct pl_core *core, enum pl_err err)
{
	struct submission *submission = core->submissions;

	core->submissions = NULL;
	core->submissions_last = &core->submissions;
	while (submission) {
		struct submission *next = submission->next;
		submission->done(submission->ctx, err, NULL);
		free(submission);
		submission = next;
	}
}

/* First the engine, which acknowledges and sends on; one event for each run of a lane. Then those who wait for it here. */
static void store_stored(void *ctx, const struct pl_store_entry *entries, size_t count)
{
	struct pl_core *core = ctx;

	pl_core_read_clocks(core);
	for (size_t i = 0; i < count;) {
		struct pl_event event = { .type = PL_EV_STORED };
		size_t k = i;
		for (; k < count && entries[k].node == entries[i].node && entries[k].lane == entries[i].lane; k++) {
			event.stored.bytes += PL_ENTRY_HEADER_BYTES + entries[k].body_bytes;
			event.stored.kept_bytes += pl_entry_kept_bytes(pl_header_kind(entries[k].header), entries[k].body_bytes);
		}
		event.stored.node = entries[i].node;
		event.stored.lane = entries[i].lane;
		event.stored.seq = entries[k - 1].seq;
		event.stored.gseq = entries[k - 1].gseq;
		event.stored.id = entries[k - 1].id;
		pl_core_event(core, &event);
		i = k;
	}
	for (size_t i = 0; i < count; i++) {
		if (entries[i].node == core->self)
			submissions_done(core, &entries[i]);
		pl_feed_stored(core, &entries[i]);
	}
}

/* On a disk that is almost full what is small fits now and then, and the store fails and recovers every second: said once a minute. */
static bool is_news(struct pl_core *core)
{
	core->full_told = pl_log_again(&core->full_told_ms, core->now_ms);
	return core->full_told;
}

static void store_failed(void *ctx, enum pl_err err, const char *why)
{
	struct pl_core *core = ctx;
	struct pl_event event = { .type = PL_EV_STORE_FAILED };

	pl_core_read_clocks(core);
	if (err != PL_ERR_DISK_FULL || is_news(core))
		PL_LOG(PL_LOG_ERROR, "store", "commit failed", PL_F_STR("why", why));
	pl_core_event(core, &event);
	pl_core_submissions_fail(core, err);
	if (err != PL_ERR_DISK_FULL && err != PL_ERR_MEMORY)
		pl_core_fail(core, why);
	else
		pl_app_store(core->app);
}

static void store_ready(void *ctx)
{
	struct pl_core *core = ctx;
	struct pl_event event = { .type = PL_EV_STORE_READY };

	pl_core_read_clocks(core);
	if (core->full_told)
		PL_LOG(PL_LOG_INFO, "store", "takes entries again");
	core->full_told = false;
	pl_core_event(core, &event);
	pl_app_store(core->app);
	pl_feed_start(core);
}

static void store_loaded(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count)
{
	struct pl_core *core = ctx;
	struct pl_event event = { .type = PL_EV_LOADED };

	pl_core_read_clocks(core);
	if (pl_feed_loaded(core, token, entries, count))
		return;
	event.loaded.lacked_memory = err == PL_ERR_MEMORY;
	event.loaded.token = token;
	event.loaded.entries = entries;
	event.loaded.count = count;
	pl_core_event(core, &event);
}

static void store_damaged(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, const uint8_t id[PL_ID_BYTES])
{
	struct pl_core *core = ctx;
	struct pl_event event = { .type = PL_EV_DAMAGED };
	char ref[PL_REF_TEXT_BYTES];

	pl_ref_format(core->charter, (struct pl_ref){ node, lane, seq }, ref);
	PL_LOG(PL_LOG_ERROR, "store", "the disk has changed an entry; it is asked for among the peers, and not handed out, nor what follows it, until it is back",
	       PL_F_STR("entry", ref));
	event.damaged.node = node;
	event.damaged.lane = lane;
	event.damaged.seq = seq;
	memcpy(event.damaged.id, id, PL_ID_BYTES);
	pl_feed_damaged(core, node, lane, seq);
	pl_core_read_clocks(core);
	pl_core_event(core, &event);
}

static void store_repaired(void *ctx, uint16_t node, uint8_t lane, uint64_t seq)
{
	struct pl_core *core = ctx;
	struct pl_event event = { .type = PL_EV_REPAIRED, .repaired = { node, lane, seq } };
	char ref[PL_REF_TEXT_BYTES];

	pl_ref_format(core->charter, (struct pl_ref){ node, lane, seq }, ref);
	PL_LOG(PL_LOG_WARNING, "store", "an entry that the disk had changed has come back from a peer; look after the disk", PL_F_STR("entry", ref));
	pl_core_read_clocks(core);
	pl_core_event(core, &event);
	pl_feed_readable(core, node, lane);
}

struct pl_store_callbacks pl_core_store_callbacks(struct pl_core *core)
{
	return (struct pl_store_callbacks){ .ctx = core, .stored = store_stored, .failed = store_failed, .ready = store_ready,
	                                    .loaded = store_loaded, .damaged = store_damaged, .repaired = store_repaired };
}
