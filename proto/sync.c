#include <assert.h>
#include <string.h>

#include "proto/parts.h"

struct pl_item pl_item_of(const struct pl_engine *e, uint32_t index)
{
	const struct lane *lane = &e->lanes[index];
	struct pl_item item = { .node = (uint16_t)(index / PL_LANES), .lane = (uint8_t)(index % PL_LANES), .seq = lane->durable_seq };

	item.generation = pl_generation_of(e, item.node);
	memcpy(item.head_id, lane->durable_id, PL_ID_BYTES);
	return item;
}

/* --- frontier: what we tell --- */

void pl_frontier_snapshot(struct pl_engine *e, struct session *s)
{
	for (uint32_t index = 0; index < e->lanes_count; index++)
		s->floor[index] = e->lanes[index].durable_seq;
	memcpy(s->hello_root, pl_frontier_root(e), PL_ID_BYTES);
	memcpy(s->hello_digests, pl_digests(e), e->groups_count * PL_ID_BYTES);
}

bool pl_tags_are_worth_it(struct pl_engine *e)
{
	uint32_t heads = 0;

	for (uint32_t index = 0; index < e->lanes_count; index++)
		heads += e->lanes[index].durable_seq > 0;
	return heads > pl_groups_filled(pl_digests(e), e->groups_count);
}

void pl_tags_write(const struct session *s, const uint8_t (*digests)[PL_ID_BYTES], uint32_t count, uint8_t *out)
{
	for (uint32_t group = 0; group < count; group++)
		pl_tag(s->salt, digests[group], out + group * PL_TAG_BYTES);
}

bool pl_tags_compare(const struct pl_engine *e, struct session *s, const uint8_t *tags, uint32_t count, const uint8_t (*digests)[PL_ID_BYTES])
{
	const uint32_t filled = pl_groups_filled(digests, e->groups_count);
	bool any = false;

	for (uint32_t group = 0; group < e->groups_count; group++) {
		uint8_t tag[PL_TAG_BYTES];
		pl_tag(s->salt_in, digests[group], tag);
		/* PROTOCOL: "A group for which there is no tag holds nothing." */
		s->differs[group] = group < count ? memcmp(tag, tags + group * PL_TAG_BYTES, PL_TAG_BYTES) != 0 : group < filled;
		any |= s->differs[group];
	}
	return any;
}

void pl_differs_all(const struct pl_engine *e, struct session *s)
{
	memset(s->differs, 1, e->groups_count);
}

void pl_frontier_start(struct pl_engine *e, struct session *s)
{
	s->frontier_next = 0;
	pl_frontier_continue(e, s);
}

#define FRONTIER_BYTES (PL_ITEM_BYTES * 128)

/* The heads of a group, if it has any. Returns the bytes written. */
static size_t put_group(const struct pl_engine *e, struct session *s, uint32_t group, uint8_t *out)
{
	size_t bytes = 0;
	bool any = false;

	out[bytes++] = (uint8_t)group;
	for (uint32_t n = 0, index; (index = pl_group_lane(e, group, n)) != UINT32_MAX; n++) {
		uint8_t tag[PL_TAG_BYTES] = { 0 };
		const struct lane *lane = &e->lanes[index];
		if (lane->durable_seq > 0)
			pl_tag(s->salt, lane->durable_id, tag);
		bytes += pl_lane_head_write(lane->durable_seq, tag, out + bytes);
		any |= lane->durable_seq > 0;
		/* What we tell from here on the peer asks for; what comes later we push. */
		if (lane->durable_seq > s->floor[index])
			s->floor[index] = lane->durable_seq;
	}
	return any ? bytes : 0;
}

static uint32_t put_groups(const struct pl_engine *e, struct session *s, uint8_t payload[FRONTIER_BYTES])
{
	size_t bytes = 0;

	while (s->frontier_next < e->groups_count && FRONTIER_BYTES - bytes >= 1 + PL_GROUP_NODES * PL_LANE_HEAD_BYTES_MAX) {
		if (s->differs[s->frontier_next])
			bytes += put_group(e, s, s->frontier_next, payload + bytes);
		s->frontier_next++;
	}
	if (s->frontier_next == e->groups_count)
		s->frontier_next = UINT32_MAX;
	return (uint32_t)bytes;
}

static uint32_t put_items(const struct pl_engine *e, struct session *s, uint8_t payload[FRONTIER_BYTES])
{
	uint32_t index = s->frontier_next, bytes = 0;

	for (; index < e->lanes_count && bytes < FRONTIER_BYTES; index++) {
		if (e->lanes[index].durable_seq == 0)
			continue;
		const struct pl_item item = pl_item_of(e, index);
		if (item.seq > s->floor[index])
			s->floor[index] = item.seq;
		pl_item_write(&item, payload + bytes);
		bytes += PL_ITEM_BYTES;
	}
	s->frontier_next = index < e->lanes_count ? index : UINT32_MAX;
	return bytes;
}

/* As many frames as there is room for; the rest when the control queue has emptied. */
void pl_frontier_continue(struct pl_engine *e, struct session *s)
{
	while (s->frontier_next != UINT32_MAX && PL_CONTROL_BYTES - s->control_count >= PL_FRAME_HEADER_BYTES + FRONTIER_BYTES) {
		uint8_t payload[FRONTIER_BYTES]; /* in here: that it is set to zero first would be most of what a step costs */
		const uint32_t bytes = s->speaks_heads ? put_groups(e, s, payload) : put_items(e, s, payload);
		const uint8_t flags = s->frontier_next == UINT32_MAX ? PL_FRAME_LAST : 0;
		if (!pl_control(s, s->speaks_heads ? PL_FRAME_HEADS : PL_FRAME_FRONTIER, flags, 0, payload, bytes))
			assert(!"there was room");
	}
}

/* PROTOCOL: "Who has another root than a PING says answers, at most every 30 s, with the tags of its groups, or with its heads where these are fewer
 * bytes." */
void pl_root_differs(struct pl_engine *e, struct session *s)
{
	uint8_t tags[PL_GROUPS_MAX][PL_TAG_BYTES];

	if (e->now_ms < s->frontier_at_ms || s->frontier_next != UINT32_MAX)
		return;
	if (!s->speaks_heads || !pl_tags_are_worth_it(e)) {
		pl_differs_all(e, s);
		pl_frontier_start(e, s);
	} else {
		const uint32_t count = pl_groups_filled(pl_digests(e), e->groups_count);
		pl_tags_write(s, pl_digests(e), count, tags[0]);
		if (!pl_control(s, PL_FRAME_TAGS, 0, 0, tags[0], count * PL_TAG_BYTES))
			return; /* at the next PING */
	}
	s->frontier_at_ms = e->now_ms + PL_ANTI_ENTROPY_MS;
}

void pl_tags_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (frame->payload_bytes % PL_TAG_BYTES != 0 || frame->payload_bytes > e->groups_count * PL_TAG_BYTES) {
		pl_session_fault(e, s, "tags malformed");
		return;
	}
	/* PROTOCOL: "TAGS that answer no PING are ignored." Each is worth a whole frontier. */
	if (!s->tags_due || s->state != PL_SESSION_LIVE || s->frontier_next != UINT32_MAX)
		return;
	s->tags_due = false;
	if (pl_tags_compare(e, s, frame->payload, frame->payload_bytes / PL_TAG_BYTES, pl_digests(e)))
		pl_frontier_start(e, s);
}

/* --- frontier: what we are told --- */

/* The id of the entry at this place, as far as memory has it; else NULL. */
static const uint8_t *id_at(const struct lane *lane, uint64_t seq)
{
	const struct recent *recent = &lane->recent[seq % PL_RECENT];

	if (seq == lane->have_seq)
		return lane->have_id;
	if (seq == lane->durable_seq)
		return lane->durable_id;
	return seq < lane->have_seq && recent->seq == seq ? recent->id : NULL;
}

/* Custody counts what we hold. What the peer holds beyond is counted when it is here too: nobody acknowledges it once more. */
static void holds(const struct pl_engine *e, struct session *s, uint32_t index, uint64_t seq, const uint8_t tag[PL_TAG_BYTES])
{
	if (seq <= s->peer_holds[index] || index / PL_LANES == e->self)
		return;
	s->peer_holds[index] = seq;
	memcpy(s->peer_holds_tag[index], tag, PL_TAG_BYTES);
}

static bool tag_is_of(const struct session *s, const uint8_t tag[PL_TAG_BYTES], const uint8_t id[PL_ID_BYTES])
{
	uint8_t ours[PL_TAG_BYTES];

	pl_tag(s->salt_in, id, ours);
	return memcmp(ours, tag, PL_TAG_BYTES) == 0;
}

/* A head that the peer has named. */
static void head_take(struct pl_engine *e, struct session *s, uint32_t index, uint64_t seq, const uint8_t tag[PL_TAG_BYTES], uint64_t delay_ms)
{
	const struct lane *lane = &e->lanes[index];
	const uint16_t node = (uint16_t)(index / PL_LANES);
	const uint8_t *id = id_at(lane, seq);

	pl_announced(e, s, index, seq);
	/* PROTOCOL: "A head in ACK, HAVE, FRONTIER or HEADS is durable where it comes from, and acknowledges what it names." */
	if (seq > lane->have_seq)
		holds(e, s, index, seq, tag);
	else if (id && tag_is_of(s, tag, id))
		pl_acked_up_to(e, s, index, seq);
	/* PROTOCOL: "A head that differs at a sequence number that the receiver holds is looked into: it asks for that entry in full." */
	else if (id && !lane->frozen)
		pl_compare_head(s, index, seq, tag);
	if (node == e->self && seq > lane->have_seq)
		pl_self_doubt(e, s);
	if (s->state == PL_SESSION_LIVE)
		pl_lane_pump(e, index, delay_ms);
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
		uint8_t tag[PL_TAG_BYTES];
		if (!item_usable(e, s, frame->payload + at, &item)) {
			if (!s->used)
				return false;
			continue;
		}
		pl_tag(s->salt_in, item.head_id, tag);
		head_take(e, s, pl_lane_index(item.node, item.lane), item.seq, tag, frame->type == PL_FRAME_FRONTIER ? 0 : PL_HAVE_DELAY_MS);
	}
	return true;
}

void pl_frontier_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (items_take(e, s, frame) && (frame->flags & PL_FRAME_LAST))
		s->frontier_due = false;
}

void pl_items_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	(void)items_take(e, s, frame);
}

void pl_heads_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	for (size_t at = 0; at < frame->payload_bytes;) {
		const uint8_t group = frame->payload[at++];
		for (uint32_t n = 0;; n++) {
			const uint32_t index = group < e->groups_count ? pl_group_lane(e, group, n) : 0;
			const uint8_t *tag;
			uint64_t seq;
			if (index == UINT32_MAX)
				break;
			/* PROTOCOL: "A group stands whole within one frame." */
			if (group >= e->groups_count || pl_lane_head_read(frame->payload, frame->payload_bytes, &at, &seq, &tag) != PL_OK) {
				pl_session_fault(e, s, "heads malformed");
				return;
			}
			if (seq > 0)
				head_take(e, s, index, seq, tag, 0);
		}
	}
	if (frame->flags & PL_FRAME_LAST)
		s->frontier_due = false;
}

void pl_acked_up_to(struct pl_engine *e, const struct session *s, uint32_t index, uint64_t seq)
{
	uint64_t *acked = &e->acked[s->peer * e->lanes_count + index];

	if (seq <= *acked)
		return;
	*acked = seq;
	struct pl_effect *fx = &pl_effect_add(e, PL_FX_ACKED)->effect;
	fx->acked.peer = s->peer;
	fx->acked.node = (uint16_t)(index / PL_LANES);
	fx->acked.lane = (uint8_t)(index % PL_LANES);
	fx->acked.seq = seq;
}

void pl_holds_sent(const struct pl_engine *e, struct session *s, const struct pl_wire *wire)
{
	const uint32_t index = pl_lane_index(wire->node, wire->header.lane);
	struct candidate c;
	uint8_t tag[PL_TAG_BYTES];

	if (wire->header.seq <= e->lanes[index].have_seq || wire->header.seq <= s->peer_holds[index])
		return;
	pl_candidate(e, wire, &c);
	pl_tag(s->salt_in, c.id, tag);
	holds(e, s, index, wire->header.seq, tag);
}

void pl_acked_ahead(struct pl_engine *e, uint32_t index)
{
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		struct session *s = &e->sessions[i];
		if (!s->used || s->peer_holds[index] == 0 || s->peer_holds[index] > e->lanes[index].have_seq)
			continue;
		const uint8_t *id = id_at(&e->lanes[index], s->peer_holds[index]);
		if (id && tag_is_of(s, s->peer_holds_tag[index], id))
			pl_acked_up_to(e, s, index, s->peer_holds[index]);
		s->peer_holds[index] = 0;
	}
}

/* seq 0 takes back what was announced, down to what we have: it is not asked for. That the peer holds it may be true all the same. */
void pl_announced(struct pl_engine *e, struct session *s, uint32_t index, uint64_t seq)
{
	const uint64_t have = e->lanes[index].have_seq;

	if (seq > e->lanes[index].named_seq)
		e->lanes[index].named_seq = seq;
	if (seq == 0) {
		s->peer_has[index] = have < s->peer_has[index] ? have : s->peer_has[index];
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

void pl_sync_session_gone(struct pl_engine *e, uint16_t session_index)
{
	pl_fetch_session_gone(e, session_index);
	for (int i = 0; i < PL_FLASH_POOL; i++) {
		if (e->flashes[i].used && e->flashes[i].waiting && e->flashes[i].from_session == session_index)
			e->flashes[i].used = false;
	}
}

/* --- telling --- */

void pl_tell_head(struct pl_engine *e, uint32_t index, bool urgent)
{
	/* FLASH and control are acknowledged at once, the rest a little later and together. */
	const uint64_t at_ms = urgent ? e->now_ms : e->now_ms + PL_HAVE_COALESCE_MS;

	for (uint16_t i = 0; i < e->sessions_ever; i++) {
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
		const struct pl_item item = pl_item_of(e, index);
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
