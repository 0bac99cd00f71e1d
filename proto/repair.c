/* PROTOCOL: "An entry that a node's disk has changed it asks for in full, of one peer after another that holds the lane that far." Which entry it has
 * to be the node knows: the entry after it names it, or it is the head. So nothing has to be trusted, and one is asked for at a time. */
#include <string.h>

#include "proto/parts.h"

static void again_at(struct pl_engine *e, uint64_t at_ms)
{
	e->repair_at_ms = at_ms ? at_ms : 1;
	pl_timer(e, e->repair_at_ms);
}

static struct repair *find(struct pl_engine *e, uint16_t node, uint8_t lane, uint64_t seq)
{
	for (uint32_t i = 0; i < e->repairs_count; i++) {
		struct repair *r = &e->repairs[i];
		if (r->node == node && r->lane == lane && r->seq == seq)
			return r;
	}
	return NULL;
}

void pl_repair_damaged(struct pl_engine *e, const struct pl_event *event)
{
	const uint16_t node = event->damaged.node;
	const uint8_t lane = event->damaged.lane;
	const uint64_t seq = event->damaged.seq;
	const struct lane *l = &e->lanes[pl_lane_index(node, lane)];

	if (find(e, node, lane, seq) || e->repairs_count == PL_REPAIRS_MAX)
		return;
	struct repair *r = &e->repairs[e->repairs_count++];
	*r = (struct repair){ .node = node, .lane = lane, .seq = seq };
	memcpy(r->id, seq == l->durable_seq ? l->durable_id : event->damaged.id, PL_ID_BYTES);
	if (e->repairs_count == 1) {
		e->repair_turn = 0;
		e->repairs_vain = 0;
		again_at(e, e->now_ms);
	}
}

static void forget(struct pl_engine *e, struct repair *r)
{
	const uint32_t at = (uint32_t)(r - e->repairs);

	memmove(r, r + 1, (--e->repairs_count - at) * sizeof(*r));
	if (e->repairs_count == 0) {
		e->repair_at_ms = 0;
	} else if (at == 0) {
		e->repair_turn = 0;
		again_at(e, e->now_ms);
	}
}

bool pl_repair_take(struct pl_engine *e, const struct candidate *c)
{
	struct repair *r = find(e, c->node, c->header.lane, c->header.seq);

	/* The id covers header and signature, and with them the body. */
	if (!r || memcmp(c->id, r->id, PL_ID_BYTES) != 0)
		return false;
	(void)pl_entry_effect(e, PL_FX_REPAIR, c);
	e->repairs_vain = 0;
	forget(e, r);
	return true;
}

void pl_repair_done(struct pl_engine *e, uint16_t node, uint8_t lane, uint64_t seq)
{
	struct repair *r = find(e, node, lane, seq); /* asked for anew while the store was writing */

	if (r)
		forget(e, r);
	pl_sched_readable(e, pl_lane_index(node, lane));
}

void pl_repair_session_live(struct pl_engine *e)
{
	if (e->repairs_count == 0)
		return;
	e->repair_turn = 0;
	e->repairs_vain = 0;
	again_at(e, e->now_ms);
}

/* The first of those that wait goes behind the others, and when none of them is to be had, all rest for a while. */
static void give_way(struct pl_engine *e)
{
	const struct repair first = e->repairs[0];

	memmove(e->repairs, e->repairs + 1, (e->repairs_count - 1) * sizeof(first));
	e->repairs[e->repairs_count - 1] = first;
	e->repair_turn = 0;
	if (++e->repairs_vain < e->repairs_count) {
		again_at(e, e->now_ms);
	} else {
		e->repairs_vain = 0;
		again_at(e, e->now_ms + PL_REPAIR_PAUSE_MS);
	}
}

/* Asks the next peer for the first of those that wait. */
static void ask(struct pl_engine *e)
{
	const struct repair *r = &e->repairs[0];

	for (uint16_t i = e->repair_turn; i < e->sessions_ever; i++) {
		struct session *s = &e->sessions[i];
		if (!s->used || s->state != PL_SESSION_LIVE || s->peer_has[pl_lane_index(r->node, r->lane)] < r->seq)
			continue;
		pl_want_full(e, s, r->node, r->lane, r->seq);
		again_at(e, e->now_ms + PL_WANT_MS_MAX);
		e->repair_turn = (uint16_t)(i + 1);
		return;
	}
	give_way(e);
}

void pl_repair_timers(struct pl_engine *e)
{
	while (e->repair_at_ms != 0 && e->now_ms >= e->repair_at_ms)
		ask(e);
	if (e->repair_at_ms != 0)
		pl_timer(e, e->repair_at_ms);
}
