/* Bulk and catch-up: entries that cost credit wait in their session's in queue, and are worked off when nothing else is to do. */
#include <assert.h>
#include <string.h>

#include "proto/parts.h"

void pl_in_queue_push(struct pl_engine *e, struct session *s, const uint8_t *bytes, uint32_t count, uint8_t flags)
{
	const uint32_t cost = count + PL_IN_ITEM_BYTES;

	/* PROTOCOL: "Entries of lane 2 and entries that answer a WANT cost credit: their wire bytes and 16. Who sends without credit is cut." What
	 * waits, and what has been worked off and not yet given back, is spent. */
	if (cost > PL_CREDIT_BYTES - (s->in_count - s->in_at) - s->credit_owed) {
		pl_session_fault(e, s, "sent without credit");
		return;
	}
	if (cost > PL_CREDIT_BYTES - s->in_count) {
		memmove(s->in, s->in + s->in_at, s->in_count - s->in_at);
		s->in_count -= s->in_at;
		s->in_at = 0;
	}
	uint8_t *p = s->in + s->in_count;
	pl_put32(p, count);
	p[4] = flags;
	memset(p + 5, 0, PL_IN_ITEM_BYTES - 5);
	memcpy(p + PL_IN_ITEM_BYTES, bytes, count);
	s->in_count += cost;
	*s->chores |= CHORE_IN;
	if (flags & PL_FRAME_CATCHUP)
		s->caught_ms = e->now_ms;
}

static void in_queue_done(struct session *s, uint32_t cost)
{
	s->in_at += cost;
	s->in_checked -= cost < s->in_checked ? cost : s->in_checked;
	s->credit_owed += cost;
	*s->chores |= CHORE_SEND;
}

bool pl_in_queue_peek(const struct pl_engine *e, const struct session *s, uint32_t at, struct pl_wire *wire, uint8_t *flags, uint32_t *cost)
{
	if (at == s->in_count)
		return false;
	const uint32_t count = pl_get32(s->in + at);
	*flags = s->in[at + 4];
	*cost = count + PL_IN_ITEM_BYTES;
	if (pl_wire_read(s->in + at + PL_IN_ITEM_BYTES, count, wire) != PL_OK)
		assert(!"checked when it was queued");
	wire->body_hash = pl_check_body_hash(e, s, at);
	return true;
}

/* PROTOCOL: "What is flagged catch-up, and answers no WANT that is open, is verified by itself." */
bool pl_is_of_run(const struct pl_engine *e, const struct session *s, const struct pl_wire *wire, uint8_t flags)
{
	const struct lane *lane = &e->lanes[pl_lane_index(wire->node, wire->header.lane)];

	return wire->header.lane == 2 && (flags & PL_FRAME_CATCHUP) && wire->form == PL_WIRE_FORM_NEXT && lane->fetch_session == s - e->sessions &&
	       wire->header.seq <= lane->fetch_to;
}

/* A run of bulk that answers a WANT is chained first, and only its last signature is checked. PROTOCOL: "Of bulk that answers a WANT, a run of up
 * to 256 entries may be verified by the last of them." Returns what the run cost; 0 if there was none, or it cannot be vouched for so: then
 * its entries are looked at one by one. */
static uint32_t in_queue_run_batch(struct pl_engine *e, struct session *s)
{
	const uint32_t effects_before = e->effects_count;
	const size_t storing_before = e->storing_bytes;
	struct pl_wire wire, first;
	struct candidate c, same = { .node = PL_NODE_NONE };
	uint32_t at = s->in_at, cost, entries = 0;
	uint8_t flags, other_lane = 0;
	uint64_t other_seq = 0;
	const uint8_t *last = NULL;

	if (!pl_in_queue_peek(e, s, at, &first, &flags, &cost))
		return 0;
	const uint32_t index = pl_lane_index(first.node, first.header.lane);
	struct lane *lane = &e->lanes[index];
	const struct lane before = *lane;
	struct recent recent_before[PL_RECENT];
	memcpy(recent_before, lane->recent, sizeof(recent_before));
	while (entries < PL_BATCH_ENTRIES_MAX && pl_in_queue_peek(e, s, at, &wire, &flags, &cost)) {
		if (!pl_is_of_run(e, s, &wire, flags) || wire.node != first.node || wire.header.lane != first.header.lane ||
		    wire.header.seq != lane->have_seq + 1 || memcmp(wire.header.prev, lane->have_id, PL_ID_BYTES) != 0 ||
		    wire.header.gseq <= lane->have_gseq || pl_quota_wait_ms(e, wire.node, wire.header.lane, wire.body_bytes) > 0 || !pl_has_room(e, wire.node, wire.header.lane))
			break;
		pl_candidate(e, &wire, &c);
		if (!pl_may_stand(e, &c))
			break;
		if (same.node == PL_NODE_NONE && pl_same_gseq(e, &c, &other_lane, &other_seq))
			same = c;
		pl_quota_take(e, c.node, c.header.lane, c.header.body_bytes);
		pl_lane_remember(lane, &c);
		last = pl_lane_store(e, &c);
		at += cost;
		entries++;
	}
	if (entries < 2 || pl_lane_verify(e, last) != PL_OK) {
		*lane = before;
		memcpy(lane->recent, recent_before, sizeof(recent_before));
		e->effects_count = effects_before;
		e->storing_bytes = storing_before;
		return 0;
	}
	e->counters.entries_accepted += entries;
	e->counters.catchup_batched += entries - 1;
	for (uint32_t again = s->in_at; again < at && pl_in_queue_peek(e, s, again, &wire, &flags, &cost); again += cost)
		pl_lane_claims(e, s, wire.node, &wire.header);
	if (same.node != PL_NODE_NONE)
		pl_suspect(e, s, same.node, same.entry_header, other_lane, other_seq);
	if (first.node == e->self)
		pl_self_is_behind(e, s, first.header.lane, first.header.seq);
	pl_acked_up_to(e, s, index, lane->have_seq);
	pl_lane_progress(e, s, index);
	return at - s->in_at;
}

static void in_queue_run_single(struct pl_engine *e, struct session *s, const struct pl_wire *wire, uint8_t flags)
{
	const uint32_t index = pl_lane_index(wire->node, wire->header.lane);
	const struct lane *lane = &e->lanes[index];

	pl_announced(e, s, index, wire->header.seq);
	if (wire->form == PL_WIRE_FORM_FULL || wire->header.seq <= lane->have_seq)
		pl_duplicate(e, s, wire, true, (flags & PL_FRAME_CATCHUP) == 0);
	else if (wire->header.seq > lane->have_seq + 1)
		pl_lane_pump(e, index, 0);
	else
		pl_receive(e, s, wire, true);
	if (s->used)
		pl_holds_sent(e, s, wire);
	if (s->used && (flags & PL_FRAME_CATCHUP))
		pl_fetch_answer(e, s, wire->node, wire->header.lane, wire->header.seq);
}

bool pl_in_queue_waits(const struct pl_engine *e, const struct session *s)
{
	return (*s->chores & CHORE_IN) && s->in_at < s->in_count && pl_bulk_may_go(e) && pl_check_may_go(e, s);
}

void pl_in_queue_run(struct pl_engine *e, struct session *s)
{
	const uint64_t verified = e->counters.signatures_verified;
	struct pl_wire wire;
	uint32_t cost;
	uint8_t flags;

	while (pl_in_queue_waits(e, s) && e->counters.signatures_verified - verified < PL_VERIFY_SLICE && e->effects_count < PL_EFFECTS_SLICE &&
	       !pl_check_ahead(e, s) && pl_in_queue_peek(e, s, s->in_at, &wire, &flags, &cost)) {
		if (!pl_is_ours_to_judge(e, s, &wire)) {
			if (s->used)
				in_queue_done(s, cost);
			continue;
		}
		const bool full = wire.form == PL_WIRE_FORM_FULL;
		const bool taken = full || (!e->lanes[pl_lane_index(wire.node, wire.header.lane)].frozen &&
		                            !pl_is_shunned(e, s, wire.node, wire.header.lane));
		uint32_t run = 0;
		if (taken && pl_is_of_run(e, s, &wire, flags))
			run = in_queue_run_batch(e, s);
		if (run == 0) {
			if (taken)
				in_queue_run_single(e, s, &wire, flags);
			run = cost;
		}
		if (s->used)
			in_queue_done(s, run);
	}
	if (s->used)
		s->caught_ms = e->now_ms; /* what it has sent waited for us, not for it */
	if (s->used && s->in_at == s->in_count) {
		s->in_at = s->in_count = 0;
		*s->chores &= (uint8_t)~CHORE_IN;
		*s->chores |= CHORE_SEND;
		pl_check_release(e, s);
	}
}

/* PROTOCOL: "A receiver gives credit back as it takes entries in, in portions of a quarter of the whole or when nothing waits." */
void pl_credit_give(struct session *s)
{
	uint8_t payload[4];

	if (s->credit_owed < PL_CREDIT_BYTES / 4 && (s->credit_owed == 0 || s->in_at < s->in_count))
		return;
	pl_put32(payload, s->credit_owed);
	if (pl_control(s, PL_FRAME_CREDIT, 0, 0, payload, sizeof(payload)))
		s->credit_owed = 0;
}
