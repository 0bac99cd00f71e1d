#include <assert.h>
#include <string.h>

#include "proto/parts.h"

static struct pl_item item_of(const struct pl_engine *e, uint32_t index)
{
	const struct lane *lane = &e->lanes[index];
	struct pl_item item = { .node = (uint16_t)(index / PL_LANES), .lane = (uint8_t)(index % PL_LANES), .seq = lane->durable_seq };

	item.generation = pl_generation_of(e, item.node);
	memcpy(item.head_id, lane->durable_id, PL_ID_BYTES);
	return item;
}

/* --- frontier --- */

void pl_frontier_snapshot(struct pl_engine *e, struct session *s)
{
	for (uint32_t index = 0; index < e->lanes_count; index++)
		s->floor[index] = e->lanes[index].durable_seq;
	memcpy(s->hello_root, pl_frontier_root(e), PL_ID_BYTES);
}

void pl_frontier_start(struct pl_engine *e, struct session *s)
{
	s->frontier_next = 0;
	pl_frontier_continue(e, s);
}

/* As many FRONTIER frames as there is room for; the rest when the control queue has emptied. */
void pl_frontier_continue(struct pl_engine *e, struct session *s)
{
	while (s->frontier_next != UINT32_MAX && PL_CONTROL_BYTES - s->control_count >= PL_FRAME_HEADER_BYTES + PL_ITEM_BYTES * 128) {
		uint8_t payload[PL_ITEM_BYTES * 128]; /* in here: that it is set to zero first would be most of what a step costs */
		uint32_t index = s->frontier_next, items = 0;
		for (; index < e->lanes_count && items < 128; index++) {
			if (e->lanes[index].durable_seq == 0)
				continue;
			const struct pl_item item = item_of(e, index);
			/* What we tell from here on the peer asks for; what comes later we push. */
			if (item.seq > s->floor[index])
				s->floor[index] = item.seq;
			pl_item_write(&item, payload + PL_ITEM_BYTES * items++);
		}
		const bool last = index == e->lanes_count;
		if (!pl_control(s, PL_FRAME_FRONTIER, last ? PL_FRAME_LAST : 0, 0, payload, PL_ITEM_BYTES * items))
			assert(!"there was room");
		s->frontier_next = last ? UINT32_MAX : index;
	}
}

/* PROTOCOL: "A head that differs at a sequence number that the receiver holds is looked into: it asks for that entry in full." */
static void compare_head(struct pl_engine *e, struct session *s, const struct pl_item *item)
{
	const struct lane *lane = &e->lanes[pl_lane_index(item->node, item->lane)];
	const struct recent *recent = &lane->recent[item->seq % PL_RECENT];
	bool differs = false;

	if (item->seq == lane->have_seq)
		differs = memcmp(item->head_id, lane->have_id, PL_ID_BYTES) != 0;
	else if (item->seq < lane->have_seq && recent->seq == item->seq)
		differs = memcmp(item->head_id, recent->id, PL_ID_BYTES) != 0;
	if (differs && !lane->frozen)
		pl_want_full(e, s, item->node, item->lane, item->seq);
}

static bool item_usable(struct pl_engine *e, struct session *s, const uint8_t *bytes, struct pl_item *item)
{
	if (pl_item_read(bytes, item) != PL_OK || item->node >= e->nodes) {
		pl_session_fault(e, s, "frontier item malformed");
		return false;
	}
	/* Another generation of a node that we know only in this one: a later charter's business. */
	return item->generation == pl_generation_of(e, item->node);
}

static bool items_take(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (frame->payload_bytes % PL_ITEM_BYTES != 0) {
		pl_session_fault(e, s, "frontier items malformed");
		return false;
	}
	for (uint32_t at = 0; at < frame->payload_bytes; at += PL_ITEM_BYTES) {
		struct pl_item item;
		if (!item_usable(e, s, frame->payload + at, &item)) {
			if (!s->used)
				return false;
			continue;
		}
		const uint32_t index = pl_lane_index(item.node, item.lane);
		pl_announced(e, s, index, item.seq);
		/* PROTOCOL: "A head in ACK, HAVE or FRONTIER is durable where it comes from, and acknowledges what it names." */
		pl_acked_up_to(e, s, index, item.seq);
		compare_head(e, s, &item);
		if (s->state == PL_SESSION_LIVE)
			pl_lane_pump(e, index, frame->type == PL_FRAME_FRONTIER ? 0 : PL_HAVE_DELAY_MS);
	}
	return true;
}

void pl_frontier_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (items_take(e, s, frame))
		s->frontier_open = (frame->flags & PL_FRAME_LAST) == 0;
}

void pl_items_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	(void)items_take(e, s, frame);
}

static void acked_note(struct pl_engine *e, const struct session *s, uint32_t index)
{
	uint64_t *acked = &e->acked[s->peer * e->lanes_count + index];
	const uint64_t have = e->lanes[index].have_seq, seq = s->peer_holds[index] < have ? s->peer_holds[index] : have;

	if (seq <= *acked)
		return;
	*acked = seq;
	struct pl_effect *fx = &pl_effect_add(e, PL_FX_ACKED)->effect;
	fx->acked.peer = s->peer;
	fx->acked.node = (uint16_t)(index / PL_LANES);
	fx->acked.lane = (uint8_t)(index % PL_LANES);
	fx->acked.seq = seq;
}

void pl_holds(struct session *s, uint32_t index, uint64_t seq)
{
	if (seq > s->peer_holds[index])
		s->peer_holds[index] = seq;
}

/* Custody counts what we hold. What the peer holds beyond is counted when it is here too: nobody acknowledges it once more. */
void pl_acked_up_to(struct pl_engine *e, struct session *s, uint32_t index, uint64_t seq)
{
	pl_holds(s, index, seq);
	acked_note(e, s, index);
}

void pl_acked_ahead(struct pl_engine *e, uint32_t index)
{
	for (uint16_t i = 0; i < e->sessions_max; i++) {
		if (e->sessions[i].used)
			acked_note(e, &e->sessions[i], index);
	}
}

/* seq 0 takes back what was announced, down to what we have. */
void pl_announced(struct pl_engine *e, struct session *s, uint32_t index, uint64_t seq)
{
	const uint64_t have = e->lanes[index].have_seq;

	if (seq == 0) {
		s->peer_has[index] = have < s->peer_has[index] ? have : s->peer_has[index];
		s->peer_holds[index] = have < s->peer_holds[index] ? have : s->peer_holds[index];
	} else if (seq > s->peer_has[index]) {
		s->peer_has[index] = seq;
	}
	pl_todo_add(e, s, index);
}

bool pl_announced_more(const struct pl_engine *e, const struct session *s)
{
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		if (s->peer_has[index] > e->lanes[index].have_seq && !e->lanes[index].frozen)
			return true;
	}
	return false;
}

/* --- asking --- */

static bool want_send(struct pl_engine *e, struct session *s, uint32_t index, uint64_t from, uint64_t to, uint8_t flags)
{
	struct pl_want want = { .node = (uint16_t)(index / PL_LANES), .lane = (uint8_t)(index % PL_LANES), .flags = flags, .from = from, .to = to };
	uint8_t payload[PL_WANT_BYTES];

	want.generation = pl_generation_of(e, want.node);
	pl_want_write(&want, payload);
	if (!pl_control(s, PL_FRAME_WANT, 0, 0, payload, sizeof payload))
		return false;
	if (!(flags & PL_WANT_FULL))
		s->choked[index] &= (uint8_t)~CHOKED_BY_US; /* who answers pushes again */
	e->counters.wants_sent++;
	return true;
}

void pl_want_full(struct pl_engine *e, struct session *s, uint16_t node, uint8_t lane, uint64_t seq)
{
	if (want_send(e, s, pl_lane_index(node, lane), seq, seq, PL_WANT_FULL))
		pl_full_asked(s, node, lane, seq);
}

/* Whom to ask for what a lane lacks: who has left the fewest WANTs unanswered; of these, who has announced most; of equals, who answers fastest. */
static struct session *best_holder(struct pl_engine *e, uint32_t index)
{
	const uint16_t node = (uint16_t)(index / PL_LANES);
	const uint8_t lane = (uint8_t)(index % PL_LANES);
	struct session *best = NULL;

	for (uint16_t i = 0; i < e->sessions_max; i++) {
		struct session *s = &e->sessions[i];
		if (!s->used || s->state != PL_SESSION_LIVE || s->peer_has[index] <= e->lanes[index].have_seq || pl_is_shunned(e, s, node, lane))
			continue;
		if (!best || s->unanswered < best->unanswered ||
		    (s->unanswered == best->unanswered && (s->peer_has[index] > best->peer_has[index] ||
		                                           (s->peer_has[index] == best->peer_has[index] && s->rtt_ms < best->rtt_ms))))
			best = s;
	}
	return best;
}

static void fetch_now(struct pl_engine *e, uint32_t index)
{
	struct lane *lane = &e->lanes[index];
	struct session *s = best_holder(e, index);

	lane->want_at_ms = 0;
	if (!s || lane->frozen || e->store_failed)
		return;
	const uint64_t from = lane->have_seq + 1;
	uint64_t to = s->peer_has[index];
	if (to - from >= PL_WANT_ENTRIES_MAX)
		to = from + PL_WANT_ENTRIES_MAX - 1;
	if (!want_send(e, s, index, from, to, 0)) {
		lane->want_at_ms = e->now_ms + PL_HAVE_COALESCE_MS;
		pl_lane_timer(e, lane->want_at_ms);
		return;
	}
	lane->fetch_session = (uint16_t)(s - e->sessions);
	lane->fetch_to = to;
	lane->fetch_since_ms = e->now_ms;
	lane->fetch_deadline_ms = e->now_ms + PL_WANT_MS_MAX;
	pl_lane_timer(e, lane->fetch_deadline_ms);
}

void pl_lane_pump(struct pl_engine *e, uint32_t index, uint64_t delay_ms)
{
	struct lane *lane = &e->lanes[index];

	if (lane->fetch_session != PL_NONE16) {
		/* Who has left us waiting before, and sends nothing now, gives way to another as soon as there is one. */
		const struct session *asked = &e->sessions[lane->fetch_session];
		if (asked->unanswered == 0 || asked->caught_ms >= lane->fetch_since_ms || best_holder(e, index) == asked)
			return;
		pl_fetch_cancel(e, index);
	}
	if (lane->frozen || !pl_has_room(e, (uint16_t)(index / PL_LANES), (uint8_t)(index % PL_LANES)) || !best_holder(e, index))
		return;
	if (lane->quota_until_ms > e->now_ms)
		return; /* its timer stands */
	if (delay_ms == 0) {
		fetch_now(e, index);
	} else if (lane->want_at_ms == 0) {
		lane->want_at_ms = e->now_ms + delay_ms;
		pl_lane_timer(e, lane->want_at_ms);
	}
}

void pl_lane_progress(struct pl_engine *e, uint32_t index)
{
	struct lane *lane = &e->lanes[index];

	if (lane->fetch_session == PL_NONE16) {
		if (lane->want_at_ms != 0 && lane->quota_until_ms == 0 && !best_holder(e, index))
			lane->want_at_ms = 0; /* the eager copy came in time */
		return;
	}
	lane->fetch_deadline_ms = e->now_ms + PL_WANT_MS_MAX;
	pl_lane_timer(e, lane->fetch_deadline_ms);
	if (lane->have_seq < lane->fetch_to)
		return;
	struct session *s = &e->sessions[lane->fetch_session];
	if (s->unanswered > 0)
		s->unanswered--;
	lane->fetch_session = PL_NONE16;
	if (best_holder(e, index))
		pl_lane_pump(e, index, PL_HAVE_DELAY_MS);
	else
		pl_note_entry(e, PL_NOTE_CAUGHT_UP, NULL, (uint16_t)(index / PL_LANES), (uint8_t)(index % PL_LANES), lane->have_seq, "");
}

void pl_fetch_cancel(struct pl_engine *e, uint32_t index)
{
	struct lane *lane = &e->lanes[index];
	const uint8_t payload[4] = { (uint8_t)(index / PL_LANES >> 8), (uint8_t)(index / PL_LANES), (uint8_t)(index % PL_LANES), 0 };

	if (lane->fetch_session == PL_NONE16)
		return;
	(void)pl_control(&e->sessions[lane->fetch_session], PL_FRAME_CANCEL, 0, 0, payload, sizeof payload);
	lane->fetch_session = PL_NONE16;
}

void pl_sync_session_gone(struct pl_engine *e, uint16_t session_index)
{
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		if (e->lanes[index].fetch_session == session_index) {
			e->lanes[index].fetch_session = PL_NONE16;
			pl_lane_pump(e, index, 0);
		}
	}
	for (int i = 0; i < PL_FLASH_POOL; i++) {
		if (e->flashes[i].used && e->flashes[i].waiting && e->flashes[i].from_session == session_index)
			e->flashes[i].used = false;
	}
}

static void fetch_timed_out(struct pl_engine *e, uint32_t index)
{
	struct session *s = &e->sessions[e->lanes[index].fetch_session];

	e->counters.wants_timed_out++;
	s->unanswered++;
	pl_fetch_cancel(e, index);
	pl_announced(e, s, index, 0); /* until it says so again */
	pl_lane_pump(e, index, 0);
}

static bool has_other_holder(const struct pl_engine *e, uint32_t index)
{
	const struct lane *lane = &e->lanes[index];

	for (uint16_t i = 0; i < e->sessions_max; i++) {
		const struct session *s = &e->sessions[i];
		if (s->used && i != lane->fetch_session && s->state == PL_SESSION_LIVE && s->peer_has[index] > lane->have_seq &&
		    s->unanswered <= e->sessions[lane->fetch_session].unanswered)
			return true;
	}
	return false;
}

/* PROTOCOL: "If nothing comes for 3 s it sends CANCEL, forgets what that peer has announced, and asks the next; so also if the lane is not there after
 * 30 s and another has it." What is asked for may stand behind other things that we have asked of the same peer, and what has come may wait for our
 * own store: neither is its fault. */
static void fetch_check(struct pl_engine *e, uint32_t index)
{
	struct lane *lane = &e->lanes[index];
	const struct session *s = &e->sessions[lane->fetch_session];

	if (e->storing_bytes >= PL_STORING_BYTES_MAX || s->in_at < s->in_count)
		lane->fetch_deadline_ms = e->now_ms + PL_WANT_MS_MAX;
	else if (s->caught_ms + PL_WANT_MS_MAX > lane->fetch_deadline_ms)
		lane->fetch_deadline_ms = s->caught_ms + PL_WANT_MS_MAX;
	if (e->now_ms >= lane->fetch_deadline_ms || (e->now_ms - lane->fetch_since_ms >= PL_HOLD_MS && has_other_holder(e, index)))
		fetch_timed_out(e, index);
	else
		pl_lane_timer(e, lane->fetch_deadline_ms);
}

void pl_sync_timers(struct pl_engine *e)
{
	if (e->now_ms < e->lanes_timer_ms) {
		pl_timer(e, e->lanes_timer_ms);
		return;
	}
	e->lanes_timer_ms = PL_NEVER;
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		struct lane *lane = &e->lanes[index];
		if (lane->quota_until_ms != 0 && e->now_ms >= lane->quota_until_ms)
			lane->quota_until_ms = 0;
		if (lane->fetch_session != PL_NONE16) {
			fetch_check(e, index);
		} else if (lane->want_at_ms != 0) {
			if (e->now_ms >= lane->want_at_ms)
				fetch_now(e, index);
			else
				pl_lane_timer(e, lane->want_at_ms);
		}
	}
}

/* --- being asked --- */

void pl_want_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	struct pl_want want;

	if (frame->payload_bytes != PL_WANT_BYTES || pl_want_read(frame->payload, &want) != PL_OK || want.node >= e->nodes) {
		pl_session_fault(e, s, "want malformed");
		return;
	}
	if (want.generation != pl_generation_of(e, want.node))
		return;
	const uint32_t index = pl_lane_index(want.node, want.lane);
	if (want.flags & PL_WANT_FULL) {
		s->full_want = want; /* a later one replaces it: the peer asks again if it still cares */
		return;
	}
	/* PROTOCOL: "A new WANT for a lane replaces the one before." */
	s->want_to[index] = want.to;
	s->sent[index] = want.from - 1;
	s->choked[index] &= (uint8_t)~CHOKED_BY_PEER;
	pl_todo_add(e, s, index);
}

void pl_choke(struct session *s, uint32_t index)
{
	const uint8_t payload[4] = { (uint8_t)(index / PL_LANES >> 8), (uint8_t)(index / PL_LANES), (uint8_t)(index % PL_LANES), 0 };

	if (!(s->choked[index] & CHOKED_BY_US) && pl_control(s, PL_FRAME_CHOKE, 0, 0, payload, sizeof payload))
		s->choked[index] |= CHOKED_BY_US;
}

void pl_choke_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (frame->payload_bytes != 4 || pl_get16(frame->payload) >= e->nodes || frame->payload[2] >= PL_LANES)
		pl_session_fault(e, s, "choke malformed");
	else
		s->choked[pl_lane_index(pl_get16(frame->payload), frame->payload[2])] |= CHOKED_BY_PEER;
}

void pl_cancel_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (frame->payload_bytes != 4 || pl_get16(frame->payload) >= e->nodes || frame->payload[2] >= PL_LANES) {
		pl_session_fault(e, s, "cancel malformed");
		return;
	}
	const uint32_t index = pl_lane_index(pl_get16(frame->payload), frame->payload[2]);
	s->want_to[index] = 0;
	pl_todo_add(e, s, index);
}

/* --- telling --- */

void pl_tell_head(struct pl_engine *e, uint32_t index, bool urgent)
{
	/* FLASH and control are acknowledged at once, the rest a little later and together. */
	const uint64_t at_ms = urgent ? e->now_ms : e->now_ms + PL_HAVE_COALESCE_MS;

	for (uint16_t i = 0; i < e->sessions_max; i++) {
		struct session *s = &e->sessions[i];
		if (!s->used || s->state == PL_SESSION_HELLO)
			continue;
		s->dirty[index] = HEAD_UNTOLD;
		pl_todo_add(e, s, index);
		if (s->state != PL_SESSION_LIVE)
			continue; /* told when it is */
		if (s->ack_at_ms == 0 || at_ms < s->ack_at_ms)
			s->ack_at_ms = at_ms ? at_ms : 1;
		if (urgent)
			pl_tell_flush(e, s);
		else
			pl_timer(e, s->ack_at_ms);
	}
}

void pl_tell_after_all(struct pl_engine *e, struct session *s, uint32_t index)
{
	if (s->dirty[index] != HEAD_PUSHED)
		return;
	s->dirty[index] = HEAD_UNTOLD;
	if (s->ack_at_ms == 0)
		s->ack_at_ms = e->now_ms + PL_HAVE_COALESCE_MS;
	pl_timer(e, s->ack_at_ms);
}

/* ACK to who holds the entry or is being sent it before its commit, HAVE to who neither holds it nor is pushed it; who is pushed it learns of it
 * by the entry itself. */
void pl_tell_flush(struct pl_engine *e, struct session *s)
{
	uint8_t acks[PL_ITEM_BYTES * 128], haves[PL_ITEM_BYTES * 128];
	uint32_t acks_count = 0, haves_count = 0;

	s->ack_at_ms = 0;
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		const uint8_t *next = memchr(s->dirty + index, HEAD_UNTOLD, e->lanes_count - index);
		if (!next)
			break;
		index = (uint32_t)(next - s->dirty);
		if (acks_count == 128 || haves_count == 128 ||
		    PL_CONTROL_BYTES - s->control_count < 2 * PL_FRAME_HEADER_BYTES + (acks_count + haves_count + 1) * PL_ITEM_BYTES) {
			s->ack_at_ms = e->now_ms + PL_HAVE_COALESCE_MS; /* the rest when there is room */
			pl_timer(e, s->ack_at_ms);
			break;
		}
		const struct pl_item item = item_of(e, index);
		s->dirty[index] = 0;
		if (s->peer_has[index] >= item.seq || s->sent[index] >= item.seq || s->peer == item.node)
			pl_item_write(&item, acks + PL_ITEM_BYTES * acks_count++);
		else if ((s->choked[index] & CHOKED_BY_PEER) || (s->peer_has[index] < s->floor[index] && s->sent[index] < s->floor[index]))
			pl_item_write(&item, haves + PL_ITEM_BYTES * haves_count++);
		else
			s->dirty[index] = HEAD_PUSHED;
	}
	if (acks_count > 0)
		(void)pl_control(s, PL_FRAME_ACK, 0, 0, acks, PL_ITEM_BYTES * acks_count);
	if (haves_count > 0)
		(void)pl_control(s, PL_FRAME_HAVE, 0, 0, haves, PL_ITEM_BYTES * haves_count);
}
