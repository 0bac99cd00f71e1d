#include "proto/engine.h"

#include <assert.h>
#include <string.h>

#include "crypto/sign.h"
#include "proto/parts.h"

/* What a step can add to the effects, so that pl_effect_add() always finds room, whatever a peer sends.
 *
 *   a record     a head in HEADS takes 10 bytes and is at most one effect, an item of ACK or FRONTIER takes 48; an entry takes 176 and is at most two
 *                (STORE, ACKED), a FORK 474 and one, so that nothing gives more than heads do. Besides: FLASH entries that waited, fork checks, the
 *                end of the link.
 *   in queues    only while there are fewer than PL_EFFECTS_SLICE: then one run (STORE each, ACKED, VERIFY, fork checks), and it may end the link.
 *                Equal roots and groups: one ACKED at a time, below the same bound.
 *   timers       each connection or session ends at most once, with a goodbye; as many peers are dialled as there are sessions.
 *   sending      three loads and a record of each session, or its end.
 *   notes        PL_NOTES_MAX.
 *
 * All other events give fewer than a record does, or end sessions and connections, which is counted. */
#define PL_FX_RECORD (PL_RECORD_PLAIN_BYTES_MAX / (2 + PL_TAG_BYTES) + 2 * PL_FLASH_POOL + PL_SUSPICIONS)
#define PL_FX_SLICE (PL_EFFECTS_SLICE + PL_BATCH_ENTRIES_MAX + 2 + 2 * PL_FLASH_POOL + PL_SUSPICIONS)
#define PL_FX_ENDS (2 * PL_LINKS_MAX + PL_LINKS_MAX + PL_HANDSHAKES_MAX)
#define PL_FX_SENDS ((PL_LANES + 1) * PL_LINKS_MAX)
static_assert(PL_FX_SLICE <= PL_FX_RECORD, "a record gives the most");
static_assert(PL_FX_RECORD + PL_FX_ENDS + PL_LINKS_MAX + PL_FX_SENDS + PL_NOTES_MAX <= PL_EFFECTS_MAX, "the effects of any step fit");

void pl_engine_config_default(struct pl_engine_config *config)
{
	memset(config, 0, sizeof(*config));
	config->links_max = PL_LINKS_MAX;
	config->mesh_nodes_max = PL_MESH_NODES_MAX;
	config->chosen_max = PL_CHOSEN_MAX;
	config->further_max = PL_FURTHER_MAX;
	config->inbound_max = PL_INBOUND_MAX;
	config->flash_per_minute = PL_FLASH_PER_MINUTE;
	config->flash_burst = PL_FLASH_BURST;
	config->quota[0] = (struct pl_quota){ PL_LANE0_BYTES_PER_S, PL_LANE0_BYTES_BURST };
	config->quota[1] = (struct pl_quota){ PL_LANE1_BYTES_PER_S, PL_LANE1_BYTES_BURST };
	config->quota[2] = (struct pl_quota){ PL_LANE2_BYTES_PER_S, PL_LANE2_BYTES_BURST };
}

enum pl_err pl_engine_init(const struct pl_engine_config *config, void *memory, size_t memory_bytes, struct pl_engine **out)
{
	if (config->self >= config->charter->nodes_count || config->links_max == 0 || config->links_max > PL_LINKS_MAX)
		return PL_ERR_REFUSED;
	if (memory_bytes < pl_engine_bytes(config))
		return PL_ERR_FULL;
	struct pl_engine *e = pl_memory_engine(memory, config);
	e->config = *config;
	e->config.courier_keys = NULL; /* each peer has its own */
	e->charter = config->charter;
	e->network_id = config->charter->network_id;
	e->self = config->self;
	e->generation = pl_generation_of(e, e->self);
	e->lanes_with_room = PL_LANES;
	e->lane_bytes_max = UINT64_MAX;
	for (uint16_t i = 0; i < e->nodes; i++) {
		e->peers[i].session = PL_NONE16;
		if (config->courier_keys)
			e->peers[i].courier_key = config->courier_keys[i];
		e->any_courier_key |= e->peers[i].courier_key != NULL;
	}
	for (uint32_t i = 0; i < e->lanes_count; i++)
		e->lanes[i].fetch_session = e->lanes[i].turn_session = PL_NONE16;
	e->timer_ms = e->lanes_timer_ms = PL_NEVER;
	pl_neighbours_init(e);
	*out = e;
	return PL_OK;
}

void pl_engine_wipe(struct pl_engine *e)
{
	pl_wipe(&e->config, sizeof(e->config));
	for (uint16_t i = 0; i < e->conns_ever; i++)
		pl_wipe(&e->conns[i], sizeof(e->conns[i]));
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		pl_noise_cipher_wipe(&e->sessions[i].reader->stream.cipher);
		pl_noise_cipher_wipe(&e->sessions[i].writer.cipher);
	}
	pl_wipe(e->seed, sizeof(e->seed));
}

/* --- what the modules use --- */

struct effect_slot *pl_effect_add(struct pl_engine *e, enum pl_effect_type type)
{
	assert(e->effects_count < PL_EFFECTS_MAX);
	struct effect_slot *slot = &e->effects[e->effects_count++];
	memset(&slot->effect, 0, sizeof(slot->effect));
	slot->effect.type = type;
	return slot;
}

static struct pl_effect *add_note(struct pl_engine *e, enum pl_note_code code, const char *detail)
{
	/* A note may be lost in a step full of them; an effect may not. */
	if (e->notes_count == PL_NOTES_MAX)
		return NULL;
	e->notes_count++;
	struct pl_effect *fx = &pl_effect_add(e, PL_FX_NOTE)->effect;
	fx->note.code = code;
	fx->note.detail = detail;
	fx->note.link = PL_LINK_NONE;
	fx->note.peer = fx->note.node = PL_NODE_NONE;
	return fx;
}

void pl_note(struct pl_engine *e, enum pl_note_code code, uint32_t link, uint16_t peer, const char *detail)
{
	struct pl_effect *fx = add_note(e, code, detail);

	if (fx) {
		fx->note.link = link;
		fx->note.peer = peer;
		fx->note.role = peer != PL_NODE_NONE ? pl_neighbour_role(e, peer) : PL_PEER_NONE;
	}
}

void pl_note_entry(struct pl_engine *e, enum pl_note_code code, const struct session *s, uint16_t node, uint8_t lane, uint64_t seq,
                   const char *detail)
{
	struct pl_effect *fx = add_note(e, code, detail);

	if (!fx)
		return;
	if (s) {
		fx->note.link = e->conns[s->conn].link;
		fx->note.peer = s->peer;
	}
	fx->note.node = node;
	fx->note.lane = lane;
	fx->note.seq = seq;
}

void pl_random(struct pl_engine *e, uint8_t out[32])
{
	uint8_t count[4];
	const struct pl_part parts[] = { { e->seed, sizeof(e->seed) }, { count, sizeof(count) } };

	pl_put32(count, e->seed_count++);
	pl_hash(PL_LABEL_EVENT, sizeof(PL_LABEL_EVENT), parts, 2, out);
}

uint32_t pl_draw(struct pl_engine *e)
{
	uint8_t random[32];

	pl_random(e, random);
	return pl_get32(random);
}

void pl_timer(struct pl_engine *e, uint64_t at_ms)
{
	if (at_ms < e->timer_ms)
		e->timer_ms = at_ms;
}

void pl_lane_timer(struct pl_engine *e, uint64_t at_ms)
{
	if (at_ms < e->lanes_timer_ms)
		e->lanes_timer_ms = at_ms;
	pl_timer(e, at_ms);
}

uint8_t *pl_record_room(struct pl_engine *e)
{
	assert(e->records_count <= (e->sessions_max - 1u) * (size_t)PL_RECORD_WIRE_BYTES_MAX);
	return e->records + e->records_count;
}

uint32_t pl_load_token(struct pl_engine *e)
{
	if (++e->load_count == 0)
		e->load_count = 1;
	return e->load_count;
}

/* --- events --- */

static void restore(struct pl_engine *e, const struct pl_event *event)
{
	struct lane *lane = &e->lanes[pl_lane_index(event->restore.node, event->restore.lane)];

	lane->have_seq = lane->durable_seq = event->restore.seq;
	lane->have_gseq = lane->durable_gseq = event->restore.gseq;
	lane->have_kept_bytes = lane->durable_kept_bytes = event->restore.kept_bytes;
	memcpy(lane->have_id, event->restore.id, PL_ID_BYTES);
	memcpy(lane->durable_id, event->restore.id, PL_ID_BYTES);
}

static void room(struct pl_engine *e, const struct pl_event *event)
{
	const uint8_t before = e->lanes_with_room;

	e->lanes_with_room = event->room.lanes;
	e->lane_bytes_max = event->room.lane_bytes_max;
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		struct lane *lane = &e->lanes[index];
		const uint8_t number = (uint8_t)(index % PL_LANES);
		const bool was_full = number >= before || lane->share_full;
		if (!was_full || !pl_has_room(e, (uint16_t)(index / PL_LANES), number))
			continue;
		lane->share_full = false;
		pl_lane_pump(e, index, 0);
	}
}

/* Bulk is taken in in ticks alone, one slice of one link at a time: whatever else has come in, a FLASH among it, is looked at before. */
static void bulk_run(struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->sessions_max; i++) {
		struct session *s = &e->sessions[e->bulk_turn];
		const bool may = (e->chores[e->bulk_turn] & CHORE_IN) != 0;
		e->bulk_turn = (uint16_t)((e->bulk_turn + 1) % e->sessions_max);
		if (may && pl_in_queue_waits(e, s)) {
			pl_in_queue_run(e, s);
			break;
		}
	}
}

static void run_timers(struct pl_engine *e)
{
	if (e->now_ms < e->timer_ms)
		return;
	e->timer_ms = PL_NEVER;
	pl_link_timers(e);
	pl_sync_timers(e);
	pl_repair_timers(e);
	pl_fork_timers(e);
}

#define FX(name) (1u << PL_FX_##name)
/* What a step may always bring: time has passed, a link may write again. */
#define FX_ANY (FX(DIAL) | FX(SEND) | FX(CLOSE) | FX(LOAD) | FX(NOTE) | FX(ANCHORS))

/* The table in engine.h. */
static unsigned effects_of(enum pl_event_type type)
{
	switch (type) {
	case PL_EV_RESTORE:
	case PL_EV_RESTORE_ACK:
	case PL_EV_RESTORE_FORK:
	case PL_EV_RESTORE_ANCHOR:
	case PL_EV_FREEZE_SELF: return 0;
	case PL_EV_BYTES:
	case PL_EV_TICK: return FX_ANY | FX(STORE) | FX(VERIFY) | FX(REPAIR) | FX(ACKED) | FX(FORK);
	case PL_EV_SUBMIT: return FX_ANY | FX(STORE);
	case PL_EV_LOADED: return FX_ANY | FX(FORK);
	case PL_EV_STORED: return FX_ANY | FX(ACKED);
	case PL_EV_START:
	case PL_EV_PEER_DIALABLE:
	case PL_EV_LINK_UP:
	case PL_EV_LINK_DOWN:
	case PL_EV_SENT:
	case PL_EV_STORE_FAILED:
	case PL_EV_STORE_READY:
	case PL_EV_ROOM:
	case PL_EV_DAMAGED:
	case PL_EV_REPAIRED:
	case PL_EV_VERIFIED:
	case PL_EV_DRAIN: return FX_ANY;
	}
	return 0;
}

static bool effects_are_known(const struct pl_engine *e, enum pl_event_type type)
{
	unsigned seen = 0;

	for (size_t i = 0; i < e->effects_count; i++)
		seen |= 1u << e->effects[i].effect.type;
	return (seen & ~effects_of(type)) == 0;
}

/* What node/ says is within the charter: a mistake here is ours, not a peer's. */
static bool is_place(const struct pl_engine *e, uint16_t node, uint8_t lane, uint64_t seq)
{
	return node < e->nodes && lane < PL_LANES && seq > 0;
}

enum pl_err pl_engine_step(struct pl_engine *e, struct pl_event *event)
{
	enum pl_err err = PL_OK;

	if (e->effects_next < e->effects_count)
		return PL_ERR_FULL;
	e->effects_count = e->effects_next = e->notes_count = 0;
	e->records_count = 0;
	e->now_ms = event->now_ms;
	e->wall_ms = event->wall_ms;
	memcpy(e->seed, event->seed, sizeof(e->seed));
	e->seed_count = 0;
	e->ticking = event->type == PL_EV_TICK;
	for (int i = 0; e->flash_releases && i < PL_FLASH_POOL; i++) {
		if (e->flashes[i].release)
			e->flashes[i].used = e->flashes[i].release = false;
	}
	e->flash_releases = false;

	switch (event->type) {
	case PL_EV_RESTORE:
		assert(!e->started && is_place(e, event->restore.node, event->restore.lane, event->restore.seq));
		restore(e, event);
		return PL_OK;
	case PL_EV_RESTORE_ACK:
		assert(!e->started && event->restore_ack.peer < e->nodes);
		assert(is_place(e, event->restore_ack.node, event->restore_ack.lane, event->restore_ack.seq));
		e->acked[event->restore_ack.peer * e->lanes_count + pl_lane_index(event->restore_ack.node, event->restore_ack.lane)] =
			event->restore_ack.seq;
		return PL_OK;
	case PL_EV_RESTORE_FORK:
		assert(!e->started && event->restore_fork.node < e->nodes);
		pl_fork_restore(e, event->restore_fork.node, event->restore_fork.header_a, event->restore_fork.header_b);
		return PL_OK;
	case PL_EV_RESTORE_ANCHOR:
		assert(!e->started && event->restore_anchor.node < e->nodes && event->restore_anchor.node != e->self);
		pl_neighbour_restore_anchor(e, event->restore_anchor.node);
		return PL_OK;
	case PL_EV_FREEZE_SELF:
		e->self_behind = true;
		return PL_OK;
	case PL_EV_START:
		e->started = true;
		break;
	case PL_EV_PEER_DIALABLE:
		assert(event->peer_dialable.node < e->nodes && event->peer_dialable.node != e->self);
		pl_neighbour_dialable(e, event->peer_dialable.node, event->peer_dialable.group);
		break;
	case PL_EV_LINK_UP:
		assert(event->link_up.link != PL_LINK_NONE && (event->link_up.peer < e->nodes || event->link_up.peer == PL_NODE_NONE));
		pl_link_up(e, event->link_up.link, event->link_up.peer, event->link_up.address_hash);
		break;
	case PL_EV_LINK_DOWN:
		assert(event->link_down.link != PL_LINK_NONE || event->link_down.peer < e->nodes);
		pl_link_down(e, event->link_down.link, event->link_down.peer);
		break;
	case PL_EV_BYTES:
		event->bytes.consumed = pl_link_bytes(e, event->bytes.link, event->bytes.bytes, event->bytes.count);
		break;
	case PL_EV_SENT:
		pl_link_sent(e, event->sent.link);
		break;
	case PL_EV_SUBMIT:
		assert(event->submit.body || event->submit.body_bytes == 0);
		err = pl_lane_submit(e, event);
		break;
	case PL_EV_STORED:
		assert(is_place(e, event->stored.node, event->stored.lane, event->stored.seq));
		pl_lane_stored(e, event);
		break;
	case PL_EV_STORE_FAILED:
		pl_lane_store_failed(e);
		break;
	case PL_EV_STORE_READY:
		pl_lane_store_ready(e);
		break;
	case PL_EV_ROOM:
		assert(event->room.lanes <= PL_LANES);
		room(e, event);
		break;
	case PL_EV_LOADED:
		assert(!event->loaded.lacked_memory || event->loaded.count == 0);
		if (!pl_fork_loaded(e, event))
			pl_sched_loaded(e, event);
		break;
	case PL_EV_VERIFIED:
		pl_check_done(e, event->verified.token, event->verified.good);
		break;
	case PL_EV_DAMAGED:
		assert(is_place(e, event->damaged.node, event->damaged.lane, event->damaged.seq));
		pl_repair_damaged(e, event);
		break;
	case PL_EV_REPAIRED:
		assert(is_place(e, event->repaired.node, event->repaired.lane, event->repaired.seq));
		pl_repair_done(e, event->repaired.node, event->repaired.lane, event->repaired.seq);
		break;
	case PL_EV_TICK:
		break;
	case PL_EV_DRAIN:
		e->draining = true;
		pl_link_drain(e, PL_BYE_SHUTDOWN, "the node stops");
		break;
	}
	if (event->type == PL_EV_TICK)
		bulk_run(e);
	if (effects_of(event->type) & FX(ACKED))
		pl_session_roots_run(e);
	run_timers(e);
	pl_sched_run(e);
	assert(effects_are_known(e, event->type));
	return err;
}

bool pl_engine_next_effect(struct pl_engine *e, struct pl_effect *out)
{
	if (e->effects_next == e->effects_count)
		return false;
	*out = e->effects[e->effects_next++].effect;
	return true;
}

uint64_t pl_engine_deadline_ms(const struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if ((e->chores[i] & CHORE_ROOT) || ((e->chores[i] & CHORE_IN) && pl_in_queue_waits(e, &e->sessions[i])))
			return 0;
	}
	return e->timer_ms;
}
