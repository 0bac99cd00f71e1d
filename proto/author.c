/* This node's own entries. */
#include <string.h>

#include "proto/parts.h"

enum pl_err pl_lane_submit(struct pl_engine *e, struct pl_event *event)
{
	const uint8_t lane_number = event->submit.lane, kind = event->submit.kind, flags = event->submit.flags;
	struct candidate c = { .node = e->self, .body = event->submit.body };
	uint64_t gseq = 0;

	if (lane_number >= PL_LANES || !pl_kind_fits_lane(kind, lane_number) || (flags & ~PL_FLAGS_KNOWN) != 0 ||
	    ((flags & PL_FLAG_FLASH) && lane_number != 0))
		return PL_ERR_REFUSED;
	if (event->submit.body_bytes > pl_body_bytes_max(kind, flags))
		return PL_ERR_LIMIT;
	if (!e->started || e->draining || e->store_failed)
		return PL_ERR_STATE;
	struct lane *lane = &e->lanes[pl_lane_index(e->self, lane_number)];
	if (e->self_behind || lane->frozen)
		return PL_ERR_FORK;
	if (e->now_ms < e->doubt_until_ms)
		return PL_ERR_STATE;
	/* Signed, it would stand in the way of all that follow. */
	if (!pl_is_certified(e, e->self, e->wall_ms))
		return PL_ERR_EXPIRED;
	if (!pl_has_room(e, e->self, lane_number))
		return PL_ERR_DISK_FULL;
	if (e->storing_bytes >= 2 * PL_STORING_BYTES_MAX)
		return PL_ERR_FULL;
	if (pl_engine_quota_wait_ms(e, lane_number, flags, event->submit.body_bytes) > 0) {
		e->counters.quota_waits++;
		return PL_ERR_QUOTA;
	}
	/* Both have room: neither is charged for what the other refuses. */
	pl_quota_take(e, e->self, lane_number, event->submit.body_bytes);
	if (flags & PL_FLAG_FLASH)
		(void)pl_quota_take_flash(e, e->self);

	c.header = (struct pl_header){ .lane = lane_number, .kind = kind, .flags = flags, .charter_epoch = e->charter->epoch,
	                               .generation = e->generation, .body_bytes = event->submit.body_bytes, .seq = lane->have_seq + 1,
	                               .time_ms = e->wall_ms };
	for (uint8_t i = 0; i < PL_LANES; i++) {
		const struct lane *l = &e->lanes[pl_lane_index(e->self, i)];
		if (l->have_gseq > gseq)
			gseq = l->have_gseq;
	}
	c.header.gseq = gseq + 1;
	/* PROTOCOL: "An author names no head that is not durable: this entry may commit before it, and the other be lost." */
	for (uint8_t i = 0; i < 2; i++) {
		const struct lane *l = &e->lanes[pl_lane_index(e->self, (uint8_t)((lane_number + 1 + i) % PL_LANES))];
		c.header.others[i].seq = l->durable_seq;
		memcpy(c.header.others[i].id8, l->durable_id, PL_HEAD8_BYTES);
	}
	memcpy(c.header.author, e->charter->nodes[e->self].certificate.node_id, PL_NODE_ID_BYTES);
	memcpy(c.header.prev, lane->have_id, PL_ID_BYTES);
	pl_body_hash(c.body, c.header.body_bytes, c.header.body_hash);
	pl_header_encode(&c.header, c.entry_header);
	pl_entry_sign(e->network_id, e->config.sign_secret, c.entry_header);
	pl_entry_id(e->network_id, c.entry_header, c.id);
	pl_lane_accept(e, NULL, &c);
	if (flags & PL_FLAG_FLASH) {
		/* PROTOCOL: "A FLASH makes a node dial at once, whatever the wait, all that it dials and has no link to: its own when it is
		 * signed, that of another within a second at random when it is taken." */
		pl_dials_hurry(e, 0, PL_NODE_NONE);
		struct flash *kept = pl_flash_keep(e, &c, PL_NONE16);
		if (kept)
			kept->own = true; /* flooded when durable: an own entry never leaves before */
	}
	event->submit.seq = c.header.seq;
	event->submit.gseq = c.header.gseq;
	memcpy(event->submit.id, c.id, PL_ID_BYTES);
	return PL_OK;
}
