/* Being asked: WANT and CANCEL, and CHOKE either way. PROTOCOL.md, "HAVE and WANT", "Two copies, then announcements". */
#include <string.h>

#include "proto/parts.h"

void pl_full_wanted(struct session *s, uint16_t node, uint8_t lane, uint64_t seq)
{
	for (uint8_t i = 0; i < s->full_wants_count; i++) {
		const struct asked *want = &s->full_wants[i];
		if (want->node == node && want->lane == lane && want->seq == seq)
			return;
	}
	/* PROTOCOL: "Of more than eight the oldest is forgotten." */
	if (s->full_wants_count == PL_FULL_WANTS_MAX)
		memmove(s->full_wants, s->full_wants + 1, --s->full_wants_count * sizeof(*s->full_wants));
	s->full_wants[s->full_wants_count++] = (struct asked){ .node = node, .lane = lane, .seq = seq };
}

bool pl_full_want_take(struct session *s, uint8_t lane, struct asked *out)
{
	for (uint8_t i = 0; i < s->full_wants_count; i++) {
		if (s->full_wants[i].lane != lane)
			continue;
		*out = s->full_wants[i];
		memmove(s->full_wants + i, s->full_wants + i + 1, (--s->full_wants_count - i) * sizeof(*s->full_wants));
		return true;
	}
	return false;
}

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
		/* PROTOCOL: "What is asked for in full, and is not durable here, has no answer." The number is the peer's. */
		if (want.from > e->lanes[index].durable_seq)
			return;
		pl_full_wanted(s, want.node, want.lane, want.from);
		return;
	}
	/* PROTOCOL: "A new WANT for a lane replaces the one before." */
	s->want_to[index] = want.to;
	s->sent[index] = want.from - 1;
	s->choked[index] &= (uint8_t)~CHOKED_BY_PEER;
	pl_todo_add(e, s, index);
}

bool pl_is_brought(const struct pl_engine *e, const struct session *but, uint32_t index)
{
	const struct lane *lane = &e->lanes[index];
	const struct recent *last = &lane->recent[lane->have_seq % PL_RECENT];
	int brought = 0;

	for (uint8_t i = 0; lane->have_seq > 0 && last->seq == lane->have_seq && i < last->copies; i++) {
		const struct session *s = last->from[i] != PL_NONE16 ? &e->sessions[last->from[i]] : NULL;
		brought += s && s != but && s->used && s->state == PL_SESSION_LIVE && !(s->choked[index] & CHOKED_BY_US);
	}
	return brought == PL_EAGER_COPIES;
}

void pl_choke(struct session *s, uint32_t index)
{
	const uint8_t payload[4] = { (uint8_t)(index / PL_LANES >> 8), (uint8_t)(index / PL_LANES), (uint8_t)(index % PL_LANES), 0 };

	if (!(s->choked[index] & CHOKED_BY_US) && pl_control(s, PL_FRAME_CHOKE, 0, 0, payload, sizeof(payload)))
		s->choked[index] |= CHOKED_BY_US;
}

/* The payload of CANCEL and CHOKE. PROTOCOL: "What this version does not use (bits, list elements, kinds) is refused when it is not zero, empty or
 * known." */
static bool names_lane(const struct pl_engine *e, const struct pl_frame *frame)
{
	return frame->payload_bytes == 4 && pl_get16(frame->payload) < e->nodes && frame->payload[2] < PL_LANES && frame->payload[3] == 0;
}

void pl_choke_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (!names_lane(e, frame)) {
		pl_session_fault(e, s, "choke malformed");
		return;
	}
	const uint32_t index = pl_lane_index(pl_get16(frame->payload), frame->payload[2]);
	s->choked[index] |= CHOKED_BY_PEER;
	if (s->sent[index] < e->lanes[index].durable_seq)
		pl_tell_after_all(e, s, index);
}

void pl_cancel_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (!names_lane(e, frame)) {
		pl_session_fault(e, s, "cancel malformed");
		return;
	}
	const uint32_t index = pl_lane_index(pl_get16(frame->payload), frame->payload[2]);
	s->want_to[index] = 0;
	pl_todo_add(e, s, index);
}
