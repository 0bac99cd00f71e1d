#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/app_fixture_impl.h"

/* --- the core, as the application sees it --- */

uv_loop_t *pl_core_loop(struct pl_core *core)
{
	return &core->fix->loop;
}

struct pl_store *pl_core_store(struct pl_core *core)
{
	return core->store;
}

struct pl_http *pl_core_http(struct pl_core *core)
{
	return core->http;
}

const struct pl_engine *pl_core_engine(const struct pl_core *core)
{
	return core->engine;
}

const struct pl_charter *pl_core_charter(const struct pl_core *core)
{
	return &core->fix->net->charter;
}

struct pl_core_room pl_core_room(const struct pl_core *core)
{
	const uint8_t lanes = core->room_bytes > 0 ? PL_LANES : PL_LANES - 1;
	return (struct pl_core_room){ .free_bytes = 1, .lanes = lanes < core->lanes_with_room ? lanes : core->lanes_with_room };
}

bool pl_core_find_room(struct pl_core *core, uint64_t bytes)
{
	return core->room_bytes > 0 && bytes <= core->room_bytes;
}

struct pl_bytes pl_core_charter_document(const struct pl_core *core)
{
	return (struct pl_bytes){ core->fix->net->document, core->fix->net->document_bytes };
}

const struct pl_conf *pl_core_conf(const struct pl_core *core)
{
	return &core->conf;
}

const struct pl_node_keys *pl_core_keys(const struct pl_core *core)
{
	return &core->keys;
}

uint16_t pl_core_self(const struct pl_core *core)
{
	return core->self;
}

uint64_t pl_core_now_ms(const struct pl_core *core)
{
	return uv_now(&core->fix->loop) + core->fix->ahead_ms;
}

uint64_t pl_core_wall_ms(const struct pl_core *core)
{
	return fix_wall(core->fix);
}

bool pl_core_peer_error(const struct pl_core *core, uint16_t node, const char **why, uint64_t *wall_ms)
{
	(void)core, (void)node, (void)why, (void)wall_ms;
	return false;
}

void pl_core_peer_address(const struct pl_core *core, uint16_t node, char out[PL_ADDRESS_BYTES_MAX + 1])
{
	(void)core;
	snprintf(out, PL_ADDRESS_BYTES_MAX + 1, "192.0.2.%u:7100", node + 1u);
}

const uint8_t *pl_core_courier_key(const struct pl_core *core, uint16_t node)
{
	return core->courier[node];
}

void fix_step(struct pl_core *core, struct pl_event *event)
{
	event->now_ms = pl_core_now_ms(core);
	event->wall_ms = pl_core_wall_ms(core);
	randombytes_buf(event->seed, sizeof(event->seed));
	cr_assert_eq(pl_engine_step(core->engine, event), PL_OK);
}

static void append(struct pl_core *core, const struct pl_store_entry *entry)
{
	core->fix->busy++;
	core->heads[entry->node][entry->lane] = entry->seq;
	cr_assert_eq(pl_store_append(core->store, entry), PL_OK);
}

bool pl_core_is_frozen(const struct pl_core *core)
{
	return core->refuse == PL_ERR_FORK;
}

uint64_t pl_core_quota_wait_ms(const struct pl_core *core, uint8_t lane, uint8_t flags, uint32_t body_bytes)
{
	return pl_engine_quota_wait_ms(core->engine, lane, flags, body_bytes);
}

bool pl_core_quota_is_half_left(const struct pl_core *core, uint8_t lane, uint8_t flags)
{
	return pl_engine_quota_is_half_left(core->engine, lane, flags);
}

enum pl_err pl_core_submit(struct pl_core *core, uint8_t lane, uint8_t kind, uint8_t flags, const uint8_t *body, uint32_t body_bytes,
                           pl_submit_done done, void *ctx)
{
	struct pl_event event = { .type = PL_EV_SUBMIT, .now_ms = pl_core_now_ms(core), .wall_ms = pl_core_wall_ms(core) };
	struct pl_effect effect;
	assert(pl_thread_is(core->fix->loop_thread));
	if (core->refuse != PL_OK)
		return core->refuse;
	event.submit.lane = lane;
	event.submit.kind = kind;
	event.submit.flags = flags;
	event.submit.body = body;
	event.submit.body_bytes = body_bytes;
	enum pl_err err = pl_engine_step(core->engine, &event);
	if (err != PL_OK)
		return err;
	while (pl_engine_next_effect(core->engine, &effect)) {
		if (effect.type != PL_FX_STORE)
			continue;
		const struct pl_store_entry entry = pl_store_entry_of(&effect, event.wall_ms);
		append(core, &entry);
	}
	struct submission *submission = malloc(sizeof(*submission));
	*submission = (struct submission){ core->submissions, lane, event.submit.seq, done, ctx };
	core->submissions = submission;
	return PL_OK;
}

void fix_pump(struct pl_core *core, uint16_t node, uint8_t lane_number)
{
	struct lane *lane = &core->lanes[node][lane_number];
	while (lane->first && !lane->busy && core->deliver && core->running) {
		struct parcel *parcel = lane->first;
		lane->first = parcel->next;
		if (!lane->first)
			lane->last = NULL;
		lane->busy = parcel->entry.seq > lane->applied;
		core->fix->busy++;
		if (lane->busy)
			pl_app_entry(core->app, &parcel->entry);
		if (lane->applied < parcel->entry.seq)
			lane->in_hand = parcel;
		else
			free(parcel);
	}
}

void pl_core_offer_again(struct pl_core *core, uint16_t node, uint8_t lane_number)
{
	struct lane *lane = &core->lanes[node][lane_number];
	cr_assert(lane->busy, "again without an entry");
	lane->in_hand->next = lane->first;
	lane->first = lane->in_hand;
	if (!lane->last)
		lane->last = lane->first;
	lane->in_hand = NULL;
	lane->busy = false;
	core->fix->busy++;
	fix_pump(core, node, lane_number);
}

void pl_core_applied(struct pl_core *core, uint16_t node, uint8_t lane, uint64_t seq)
{
	assert(pl_thread_is(core->fix->loop_thread));
	cr_assert(core->lanes[node][lane].busy, "applied without an entry");
	cr_assert_gt(seq, core->lanes[node][lane].applied);
	core->lanes[node][lane].applied = seq;
	core->lanes[node][lane].busy = false;
	free(core->lanes[node][lane].in_hand);
	core->lanes[node][lane].in_hand = NULL;
	core->fix->busy++;
	fix_pump(core, node, lane);
}

void fix_offer(struct pl_core *core, const struct pl_store_entry *entry)
{
	struct lane *lane = &core->lanes[entry->node][entry->lane];
	struct parcel *parcel = malloc(sizeof(*parcel) + entry->body_bytes);
	parcel->entry = *entry;
	parcel->entry.body = parcel->body;
	parcel->next = NULL;
	memcpy(parcel->body, entry->body, entry->body_bytes);
	if (lane->last)
		lane->last->next = parcel;
	else
		lane->first = parcel;
	lane->last = parcel;
	fix_pump(core, entry->node, entry->lane);
}

/* --- the network --- */

void fix_catch_up(struct fix *fix, uint16_t author, uint8_t lane, uint16_t to)
{
	struct pl_core *core = fix->cores[to];
	const struct log *log = &fix->logs[author][lane];
	if (!core || !core->running || to == author || fix->blocked[author][lane][to])
		return;
	while (core->heads[author][lane] < log->count) {
		struct pl_store_entry entry = log->parcels[core->heads[author][lane]]->entry;
		entry.received_ms = fix_wall(fix);
		append(core, &entry);
	}
}

static void publish(struct fix *fix, const struct pl_store_entry *entry)
{
	struct log *log = &fix->logs[entry->node][entry->lane];
	if (log->count == log->room) {
		log->room = log->room ? 2 * log->room : 16;
		log->parcels = realloc(log->parcels, log->room * sizeof(log->parcels[0]));
	}
	struct parcel *parcel = malloc(sizeof(*parcel) + entry->body_bytes);
	parcel->entry = *entry;
	parcel->entry.body = parcel->body;
	memcpy(parcel->body, entry->body, entry->body_bytes);
	cr_assert_eq(entry->seq, log->count + 1);
	log->parcels[log->count++] = parcel;
	for (uint16_t to = 0; to < fix->net->charter.nodes_count; to++)
		fix_catch_up(fix, entry->node, entry->lane, to);
}

static void stored(void *ctx, const struct pl_store_entry *entries, size_t count)
{
	struct pl_core *core = ctx;
	for (size_t i = 0; i < count; i++) {
		const struct pl_store_entry *entry = &entries[i];
		core->fix->busy++;
		if (entry->node == core->self) {
			struct pl_event event = { .type = PL_EV_STORED };
			struct pl_effect effect;
			event.stored.node = entry->node;
			event.stored.lane = entry->lane;
			event.stored.seq = entry->seq;
			event.stored.gseq = entry->gseq;
			event.stored.id = entry->id;
			event.stored.bytes = PL_ENTRY_HEADER_BYTES + entry->body_bytes;
			event.stored.kept_bytes = pl_entry_kept_bytes(pl_header_kind(entry->header), entry->body_bytes);
			fix_step(core, &event);
			while (pl_engine_next_effect(core->engine, &effect))
				;
			struct submission **link = &core->submissions;
			while (*link && ((*link)->lane != entry->lane || (*link)->seq != entry->seq))
				link = &(*link)->next;
			struct submission *submission = *link;
			if (submission) {
				*link = submission->next;
				submission->done(submission->ctx, PL_OK, entry);
				free(submission);
			}
			publish(core->fix, entry);
		}
		fix_offer(core, entry);
	}
}

static void failed(void *ctx, enum pl_err err, const char *why)
{
	struct pl_core *core = ctx;
	core->store_failures++;
	if (err != PL_ERR_DISK_FULL)
		cr_assert_fail("the store of %s failed: %s", core->dir, why);
	while (core->submissions) {
		struct submission *submission = core->submissions;
		core->submissions = submission->next;
		submission->done(submission->ctx, err, NULL);
		free(submission);
	}
}

static void ready(void *ctx)
{
	struct pl_core *core = ctx;
	core->fix->busy++;
}

static void loaded(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count)
{
	(void)ctx;
	(void)err;
	(void)token;
	(void)entries;
	(void)count;
}

static void damaged(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, const uint8_t id[PL_ID_BYTES])
{
	struct pl_core *core = ctx;
	(void)node, (void)lane, (void)seq, (void)id;
	core->store_damaged++;
}

const struct pl_store_callbacks fix_store_callbacks = { .stored = stored, .failed = failed, .ready = ready, .loaded = loaded,
	                                                .damaged = damaged };
