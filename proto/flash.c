/* FLASH entries in memory: until they are durable, or until the entries before them have come. They are sent on from there; sched.c floods. */
#include <assert.h>
#include <string.h>

#include "proto/parts.h"

/* A free place. One that is verified takes the place of one that only waits: nobody knows yet what that is worth. */
static struct flash *flash_slot(struct pl_engine *e, bool verified)
{
	struct flash *waiting = NULL, *oldest = NULL;

	for (int i = 0; i < PL_FLASH_POOL; i++) {
		struct flash *flash = &e->flashes[i];
		if (!flash->used)
			return flash;
		if (flash->waiting)
			waiting = flash;
		if (flash->relayed && (!oldest || flash->relay_age < oldest->relay_age))
			oldest = flash;
	}
	return oldest ? oldest : verified ? waiting : NULL;
}

static void flash_begin(struct flash *flash, uint16_t node, uint64_t seq, uint16_t from_session)
{
	flash->used = true;
	flash->own = flash->waiting = flash->release = flash->relayed = false;
	flash->node = node;
	flash->seq = seq;
	flash->from_session = from_session;
}

/* Keeps a FLASH in memory in its wire form. NULL if the pool is full: it then spreads as other entries do, after its commit. */
struct flash *pl_flash_keep(struct pl_engine *e, const struct candidate *c, uint16_t from_session)
{
	struct flash *flash = flash_slot(e, true);

	if (!flash)
		return NULL;
	flash_begin(flash, c->node, c->header.seq, from_session);
	flash->wire_bytes = (uint32_t)pl_wire_write(c->node, PL_WIRE_FORM_NEXT, c->entry_header, c->body, c->header.body_bytes, flash->wire,
	                                            sizeof(flash->wire));
	return flash;
}

/* A FLASH that came before its predecessors waits in memory for them. Nothing is known of it yet, so that it gets a place only where there is
 * one, and one peer not all of them; without, it comes again after its sender's commit. */
void pl_flash_hold(struct pl_engine *e, struct session *s, const struct pl_wire *wire, const uint8_t *bytes, uint32_t count)
{
	const uint16_t from = (uint16_t)(s - e->sessions);
	int held = 0;

	for (int i = 0; i < PL_FLASH_POOL; i++) {
		const struct flash *flash = &e->flashes[i];
		if (!flash->used || !flash->waiting)
			continue;
		if (flash->node == wire->node && flash->seq == wire->header.seq)
			return;
		held += flash->from_session == from;
	}
	struct flash *flash = flash_slot(e, false);
	if (!flash || held >= PL_FLASH_HELD_MAX || wire->header.seq - e->lanes[pl_lane_index(wire->node, 0)].have_seq > PL_FLASH_AHEAD_MAX)
		return;
	assert(count <= sizeof(flash->wire)); /* pl_wire_read() knows the limit of a FLASH */
	flash_begin(flash, wire->node, wire->header.seq, from);
	flash->waiting = true;
	flash->wire_bytes = count;
	memcpy(flash->wire, bytes, count);
}

/* Lane 0 of this node has moved: those that waited for it, in order. */
void pl_flash_held_run(struct pl_engine *e, uint16_t node)
{
	const struct lane *lane = &e->lanes[pl_lane_index(node, 0)];

	for (int i = 0; i < PL_FLASH_POOL; i++) {
		struct flash *flash = &e->flashes[i];
		struct pl_wire wire;
		if (!flash->used || !flash->waiting || flash->node != node || flash->seq > lane->have_seq + 1)
			continue;
		struct session *s = &e->sessions[flash->from_session];
		flash->waiting = false;
		flash->release = e->flash_releases = true; /* effects borrow its bytes until the next step */
		if (flash->seq != lane->have_seq + 1 || !s->used || lane->frozen ||
		    pl_wire_read(flash->wire, flash->wire_bytes, &wire) != PL_OK)
			continue;
		pl_receive_next(e, s, &wire, false);
		i = -1; /* the next may stand before it in the pool; each runs once */
	}
}

/* Whether a FLASH of this node was sent on before, or is too old to tell. */
static bool is_relayed(const struct peer *author, uint64_t seq)
{
	if (seq > author->relayed_seq)
		return false;
	const uint64_t before = author->relayed_seq - seq;
	return before >= PL_RELAYED_SEQS || (author->relayed_bits >> before & 1) != 0;
}

static void relayed(struct peer *author, uint64_t seq)
{
	if (seq > author->relayed_seq) {
		const uint64_t step = seq - author->relayed_seq;
		author->relayed_bits = step >= PL_RELAYED_SEQS ? 0 : author->relayed_bits << step;
		author->relayed_seq = seq;
	}
	author->relayed_bits |= 1ULL << (author->relayed_seq - seq);
}

/* PROTOCOL: "A node whose store takes nothing keeps its links and sends FLASH entries of others on." It keeps nothing, so that it cannot tell what comes
 * before one; its signature it can. Each goes on once, or two such nodes would give it to each other for ever. */
void pl_flash_relay(struct pl_engine *e, struct session *s, const struct pl_wire *wire)
{
	struct candidate c;

	pl_candidate(e, wire, &c);
	if (is_relayed(&e->peers[c.node], c.header.seq))
		return;
	if (!pl_may_stand(e, &c) || !pl_signature_holds(e, s, &c)) {
		pl_refuse(e, s, wire, pl_signature_is_bad);
		return;
	}
	if (!pl_quota_take_flash(e, c.node))
		return;
	struct flash *flash = pl_flash_keep(e, &c, (uint16_t)(s - e->sessions));
	if (!flash)
		return;
	relayed(&e->peers[c.node], c.header.seq);
	pl_flash_flood(e, flash);
	flash->relayed = true;
	flash->relay_age = e->relays_count++;
	e->counters.flash_forwarded++;
}
