#include "node/core.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/core_impl.h"
#include "node/log.h"

/* --- accessors --- */

uv_loop_t *pl_core_loop(struct pl_core *core) { return core->loop; }
struct pl_store *pl_core_store(struct pl_core *core) { return core->store; }
struct pl_http *pl_core_http(struct pl_core *core) { return core->http; }
const struct pl_engine *pl_core_engine(const struct pl_core *core) { return core->engine; }
const struct pl_charter *pl_core_charter(const struct pl_core *core) { return core->charter; }
struct pl_bytes pl_core_charter_document(const struct pl_core *core)
{
	return (struct pl_bytes){ core->charter_document, core->charter_document_bytes };
}
const struct pl_conf *pl_core_conf(const struct pl_core *core) { return core->conf; }
const struct pl_node_keys *pl_core_keys(const struct pl_core *core) { return core->keys; }
uint16_t pl_core_self(const struct pl_core *core) { return core->self; }
const uint8_t *pl_core_courier_key(const struct pl_core *core, uint16_t node) { return core->courier_pointers[node]; }
int pl_core_exit_code(const struct pl_core *core) { return core->exit_code; }

void pl_core_peer_address(const struct pl_core *core, uint16_t node, char out[PL_ADDRESS_BYTES_MAX + 1])
{
	struct pl_peer_info info;

	pl_engine_peer(core->engine, node, &info);
	out[0] = '\0';
	if (info.link != PL_LINK_NONE)
		pl_net_address(core->net, info.link, out);
	if (out[0] == '\0' && core->addresses[node].count > 0)
		snprintf(out, PL_ADDRESS_BYTES_MAX + 1, "%s", core->addresses[node].addresses[0]);
}

uint64_t pl_core_quota_wait_ms(const struct pl_core *core, uint8_t lane, uint8_t flags, uint32_t body_bytes)
{
	return pl_engine_quota_wait_ms(core->engine, lane, flags, body_bytes);
}

bool pl_core_is_frozen(const struct pl_core *core)
{
	struct pl_lane_info info;
	bool is_frozen = false;

	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		pl_engine_lane(core->engine, core->self, lane, &info);
		is_frozen |= info.frozen;
	}
	return is_frozen;
}

bool pl_core_quota_is_half_left(const struct pl_core *core, uint8_t lane, uint8_t flags)
{
	return pl_engine_quota_is_half_left(core->engine, lane, flags);
}

/* --- time: for whatever decides by it, read once per turn of the loop, here and nowhere else; log.c and http_server.c only mark with it --- */

void pl_core_read_clocks(struct pl_core *core)
{
	struct timespec wall;

	core->now_ms = uv_now(core->loop);
	clock_gettime(CLOCK_REALTIME, &wall);
	core->wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
}

/* A turn that begins with a request or with a timer of the application's has not read the clocks yet. */
static const struct pl_core *at_this_turn(const struct pl_core *core)
{
	assert(pl_thread_is(core->loop_thread));
	if (core->now_ms != uv_now(core->loop))
		pl_core_read_clocks((struct pl_core *)(uintptr_t)core);
	return core;
}

uint64_t pl_core_wall_ms(const struct pl_core *core)
{
	return at_this_turn(core)->wall_ms;
}

uint64_t pl_core_now_ms(const struct pl_core *core)
{
	return at_this_turn(core)->now_ms;
}

/* --- effects --- */

static void store_entry(struct pl_core *core, const struct pl_effect *fx, bool is_authored)
{
	const struct pl_store_entry entry = pl_store_entry_of(fx, core->wall_ms);

	/* Signed here, and come from a peer: proof, not just a claim, that this node has been further than its store. */
	if (entry.node == core->self && !is_authored)
		pl_store_freeze_feed(core->store, "A peer sent entries that this node has signed and did not hold: its store was restored from a copy.");
	enum pl_err err = pl_store_append(core->store, &entry);
	/* Between a failed commit and its report the store takes nothing, and the report voids this entry in the engine too. */
	if (err == PL_OK || err == PL_ERR_STATE)
		return;
	pl_core_fail(core, err == PL_ERR_MEMORY ? "out of memory" : "the store and the engine disagree about a feed; check the disk");
}

/* Where that does not work, the damage is found again when the entry is next read. */
static void repair_entry(struct pl_core *core, const struct pl_effect *fx)
{
	const struct pl_store_entry entry = pl_store_entry_of(fx, core->wall_ms);

	if (pl_store_repair(core->store, &entry) != PL_OK)
		PL_LOG(PL_LOG_ERROR, "store", "an entry that has come back cannot be put in its place");
}

/* Where that does not work, those of before are dialled first, or none. */
static void keep_anchors(struct pl_core *core, const uint16_t nodes[PL_ANCHORS_MAX])
{
	uint8_t node_ids[PL_ANCHORS_MAX][PL_NODE_ID_BYTES];
	size_t count = 0;

	for (int i = 0; i < PL_ANCHORS_MAX; i++) {
		if (nodes[i] != PL_NODE_NONE)
			memcpy(node_ids[count++], core->charter->nodes[nodes[i]].certificate.node_id, PL_NODE_ID_BYTES);
	}
	if (pl_store_keep_anchors(core->store, (const uint8_t (*)[PL_NODE_ID_BYTES])node_ids, count) != PL_OK)
		PL_LOG(PL_LOG_WARNING, "link", "no memory to keep which neighbours are dialled first");
}

/* Applies what the engine wants; notes are kept for the application, which may submit and must not do so in the middle of a step. */
static void carry_out(struct pl_core *core, bool is_authored, struct pl_effect *notes, size_t *notes_count, size_t notes_max)
{
	struct pl_effect fx;

	while (pl_engine_next_effect(core->engine, &fx)) {
		switch (fx.type) {
		case PL_FX_DIAL:
			pl_net_dial(core->net, fx.dial.peer, core->charter->nodes[fx.dial.peer].member, core->addresses[fx.dial.peer].addresses,
			            core->addresses[fx.dial.peer].count);
			break;
		case PL_FX_SEND:
			pl_net_send(core->net, fx.send.link, fx.send.bytes, fx.send.count);
			break;
		case PL_FX_CLOSE:
			pl_net_close(core->net, fx.close.link);
			break;
		case PL_FX_STORE:
			store_entry(core, &fx, is_authored);
			break;
		case PL_FX_REPAIR:
			repair_entry(core, &fx);
			break;
		case PL_FX_LOAD:
			if (pl_store_load(core->store, fx.load.token, fx.load.node, fx.load.lane, fx.load.from, fx.load.to, fx.load.max_bytes) != PL_OK &&
			    !core->stopping) {
				struct pl_event nothing = { .type = PL_EV_LOADED, .loaded = { .token = fx.load.token, .lacked_memory = true } };
				pl_core_event(core, &nothing); /* it asks again */
			}
			break;
		case PL_FX_VERIFY:
			if (pl_verifier_check(core->verifier, fx.verify.token, fx.verify.headers, fx.verify.count) != PL_OK)
				pl_core_fail(core, "out of memory");
			break;
		case PL_FX_ACKED:
			pl_store_note_ack(core->store, fx.acked.peer, fx.acked.node, fx.acked.lane, fx.acked.seq);
			break;
		case PL_FX_FORK:
			if (pl_store_add_fork(core->store, fx.fork.node, fx.fork.header_a, fx.fork.header_b) != PL_OK)
				PL_LOG(PL_LOG_ERROR, "store", "a fork could not be queued; peers hold it too");
			break;
		case PL_FX_ANCHORS:
			keep_anchors(core, fx.anchors.nodes);
			break;
		case PL_FX_NOTE:
			if (pl_core_note(core, &fx) && *notes_count < notes_max)
				notes[(*notes_count)++] = fx;
			break;
		}
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct pl_core *core = timer->data;
	struct pl_event event = { .type = PL_EV_TICK };

	pl_core_read_clocks(core);
	pl_core_event(core, &event);
}

static void on_idle(uv_idle_t *idle)
{
	struct pl_core *core = idle->data;
	struct pl_event event = { .type = PL_EV_TICK };

	pl_core_read_clocks(core);
	pl_core_event(core, &event);
}

static void arm(struct pl_core *core)
{
	const uint64_t deadline = core->stopped || core->stopping ? UINT64_MAX : pl_engine_deadline_ms(core->engine);

	if (deadline == 0) {
		uv_idle_start(&core->idle, on_idle);
		return;
	}
	uv_idle_stop(&core->idle);
	if (deadline == UINT64_MAX)
		uv_timer_stop(&core->timer);
	else
		uv_timer_start(&core->timer, on_timer, deadline > core->now_ms ? deadline - core->now_ms : 0, 0);
}

static enum pl_err step(struct pl_core *core, struct pl_event *event)
{
	struct pl_effect notes[32];
	size_t notes_count = 0;

	core->stepping = true;
	event->now_ms = core->now_ms;
	event->wall_ms = core->wall_ms;
	randombytes_buf(event->seed, sizeof(event->seed));
	enum pl_err err = pl_engine_step(core->engine, event);
	carry_out(core, event->type == PL_EV_SUBMIT, notes, &notes_count, sizeof(notes) / sizeof(*notes));
	core->stepping = false;
	for (size_t i = 0; core->app && i < notes_count && !core->stopping; i++)
		pl_app_note(core->app, &notes[i]);
	return err;
}

/* Whether it points to nothing of its caller's. */
static bool borrows_nothing(const struct pl_event *event)
{
	switch (event->type) {
	case PL_EV_RESTORE_FORK:
	case PL_EV_BYTES:
	case PL_EV_SUBMIT:
	case PL_EV_STORED:
		return false;
	case PL_EV_LOADED:
		return event->loaded.count == 0;
	case PL_EV_RESTORE:
	case PL_EV_RESTORE_ACK:
	case PL_EV_RESTORE_ANCHOR:
	case PL_EV_FREEZE_SELF:
	case PL_EV_START:
	case PL_EV_PEER_DIALABLE:
	case PL_EV_LINK_UP:
	case PL_EV_LINK_DOWN:
	case PL_EV_SENT:
	case PL_EV_STORE_FAILED:
	case PL_EV_STORE_READY:
	case PL_EV_ROOM:
	case PL_EV_VERIFIED:
	case PL_EV_DAMAGED:
	case PL_EV_REPAIRED:
	case PL_EV_TICK:
	case PL_EV_DRAIN:
		return true;
	}
	return false;
}

/* After a step: what its effects have brought about. */
static void drain(struct pl_core *core)
{
	while (core->late && !core->stepping) {
		struct late_event *late = core->late;
		core->late = late->next;
		if (!core->late)
			core->late_last = &core->late;
		if (step(core, &late->event) != PL_OK)
			PL_LOG(PL_LOG_ERROR, "core", "the engine refused an event");
		free(late);
	}
	arm(core);
}

void pl_core_event(struct pl_core *core, struct pl_event *event)
{
	assert(pl_thread_is(core->loop_thread));
	if (core->stopped)
		return;
	if (core->stepping) {
		assert(borrows_nothing(event)); /* these come from the loop and from no effect */
		struct late_event *late = malloc(sizeof(*late));
		if (!late) {
			pl_core_fail(core, "out of memory");
			return;
		}
		*late = (struct late_event){ .event = *event };
		*core->late_last = late;
		core->late_last = &late->next;
		return;
	}
	if (step(core, event) != PL_OK)
		PL_LOG(PL_LOG_ERROR, "core", "the engine refused an event");
	drain(core);
}

/* --- verifier --- */

void pl_core_verified(void *ctx, uint32_t token, uint32_t good)
{
	struct pl_event event = { .type = PL_EV_VERIFIED, .verified = { token, good } };

	pl_core_read_clocks(ctx);
	pl_core_event(ctx, &event);
}

/* --- net --- */

static void net_up(void *ctx, uint32_t link, uint16_t peer, uint64_t address_hash)
{
	struct pl_event event = { .type = PL_EV_LINK_UP, .link_up = { link, peer, address_hash } };

	pl_core_read_clocks(ctx);
	pl_core_event(ctx, &event);
}

static void net_down(void *ctx, uint32_t link, uint16_t peer, const char *why)
{
	struct pl_core *core = ctx;
	struct pl_event event = { .type = PL_EV_LINK_DOWN, .link_down = { link, peer } };

	pl_core_read_clocks(core);
	if (link == PL_LINK_NONE)
		pl_core_peer_unreachable(core, peer, why);
	pl_core_event(core, &event);
}

static void net_bytes(void *ctx, uint32_t link, const uint8_t *bytes, size_t count)
{
	struct pl_core *core = ctx;

	pl_core_read_clocks(core);
	while (count > 0 && !core->stopped) {
		struct pl_event event = { .type = PL_EV_BYTES };
		event.bytes.link = link;
		event.bytes.bytes = bytes;
		event.bytes.count = count;
		pl_core_event(core, &event);
		if (event.bytes.consumed == 0 || event.bytes.consumed > count)
			break;
		bytes += event.bytes.consumed;
		count -= event.bytes.consumed;
	}
}

static void net_sent(void *ctx, uint32_t link)
{
	struct pl_event event = { .type = PL_EV_SENT, .sent = { link } };

	pl_core_read_clocks(ctx);
	pl_core_event(ctx, &event);
}

struct pl_net_callbacks pl_core_net_callbacks(struct pl_core *core)
{
	return (struct pl_net_callbacks){ .ctx = core, .up = net_up, .down = net_down, .bytes = net_bytes, .sent = net_sent };
}

/* --- authoring --- */

enum pl_err pl_core_submit(struct pl_core *core, uint8_t lane, uint8_t kind, uint8_t flags, const uint8_t *body, uint32_t body_bytes,
                           pl_submit_done done, void *ctx)
{
	struct pl_event event = { .type = PL_EV_SUBMIT };

	assert(pl_thread_is(core->loop_thread));
	if (core->stopping || core->stepping)
		return PL_ERR_STATE;
	if (pl_store_queue_bytes(core->store) > PL_STORE_QUEUE_BYTES)
		return PL_ERR_FULL;
	struct submission *submission = calloc(1, sizeof(*submission));
	if (!submission)
		return PL_ERR_MEMORY;
	event.submit.lane = lane;
	event.submit.kind = kind;
	event.submit.flags = flags;
	event.submit.body = body;
	event.submit.body_bytes = body_bytes;
	pl_core_read_clocks(core);
	enum pl_err err = step(core, &event);
	if (err == PL_OK) {
		*submission = (struct submission){ .lane = lane, .seq = event.submit.seq, .done = done, .ctx = ctx };
		*core->submissions_last = submission;
		core->submissions_last = &submission->next;
	} else {
		struct pl_store_stats stats;
		free(submission);
		pl_store_stats(core->store, &stats);
		err = err == PL_ERR_STATE && !stats.writable ? PL_ERR_DISK_FULL : err;
	}
	drain(core);
	return err;
}

/* --- the end --- */

static void finish(uv_timer_t *timer)
{
	struct pl_core *core = timer->data;

	uv_timer_stop(timer);
	/* What finishes here is still reported, and the engine still hears of it. */
	pl_store_close(core->store);
	core->store = NULL;
	pl_verifier_close(core->verifier);
	core->verifier = NULL;
	core->stopped = true;
	pl_core_submissions_fail(core, PL_ERR_STATE);
	uv_close((uv_handle_t *)&core->timer, NULL);
	uv_close((uv_handle_t *)&core->room_timer, NULL);
	uv_close((uv_handle_t *)&core->feed_timer, NULL);
	pl_core_notes_close(core);
	uv_close((uv_handle_t *)&core->idle, NULL);
	if (core->on_stopped)
		core->on_stopped(core->on_stopped_ctx);
}

void pl_core_stop(struct pl_core *core, void (*on_stopped)(void *ctx), void *ctx)
{
	struct pl_event event = { .type = PL_EV_DRAIN };

	core->on_stopped = on_stopped;
	core->on_stopped_ctx = ctx;
	if (core->stopping)
		return;
	if (core->app)
		pl_app_stop(core->app);
	core->stopping = true;
	pl_core_read_clocks(core);
	pl_core_event(core, &event);
	pl_net_shutdown(core->net);
	if (core->http)
		pl_http_shutdown(core->http);
	uv_idle_stop(&core->idle);
	uv_timer_stop(&core->room_timer);
	uv_timer_stop(&core->feed_timer);
	/* In a turn of its own: a stop may come from within the store's callbacks. */
	uv_timer_start(&core->timer, finish, 0, 0);
}

void pl_core_fail(struct pl_core *core, const char *why)
{
	if (core->exit_code != 0)
		return;
	PL_LOG(PL_LOG_ERROR, "core", "parleyd stops", PL_F_STR("why", why));
	core->exit_code = 1;
	if (core->on_failed)
		core->on_failed(core->on_failed_ctx);
}

/* Of a core that was never started, all there is. */
void pl_core_release(struct pl_core *core)
{
	sodium_free(core->keys);
	sodium_free(core->courier_keys);
	free(core->courier_pointers);
	free(core->addresses);
	free(core->configured);
	free(core->peer_notes);
	free(core->charter);
	free(core->charter_document);
	free(core);
}

void pl_core_free(struct pl_core *core)
{
	if (!core)
		return;
	if (core->app)
		pl_app_free(core->app);
	if (core->http)
		pl_http_free(core->http);
	if (core->net)
		pl_net_free(core->net);
	if (core->verifier)
		pl_verifier_close(core->verifier);
	if (core->store)
		pl_store_close(core->store);
	if (core->engine)
		pl_engine_wipe(core->engine);
	free(core->engine_memory);
	while (core->late) {
		struct late_event *next = core->late->next;
		free(core->late);
		core->late = next;
	}
	pl_feed_free(core);
	pl_core_release(core);
}
