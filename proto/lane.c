#include <assert.h>
#include <string.h>

#include "proto/state.h"

void pl_candidate(const struct pl_engine *e, const struct pl_wire *wire, struct candidate *out)
{
	out->node = wire->node;
	out->header = wire->header;
	out->body = wire->body;
	memcpy(out->header.author, e->charter->nodes[wire->node].certificate.node_id, PL_NODE_ID_BYTES);
	pl_body_hash(wire->body, wire->body_bytes, out->header.body_hash);
	pl_header_encode(&out->header, out->entry_header);
	memcpy(out->entry_header + PL_HEADER_BYTES, wire->signature, PL_SIGN_BYTES);
	pl_entry_id(e->network_id, out->entry_header, out->id);
}

const char pl_signature_is_bad[] = "signature does not verify";

enum pl_err pl_lane_verify(struct pl_engine *e, const uint8_t entry_header[PL_ENTRY_HEADER_BYTES])
{
	e->counters.signatures_verified++;
	return pl_entry_verify(e->network_id, entry_header);
}

static bool signature_holds(struct pl_engine *e, const struct session *s, const struct candidate *c)
{
	bool good;

	return pl_check_verdict(e, s, c->id, &good) ? good : pl_lane_verify(e, c->entry_header) == PL_OK;
}

const uint8_t *pl_entry_effect(struct pl_engine *e, enum pl_effect_type type, const struct candidate *c)
{
	struct effect_slot *slot = pl_effect_add(e, type);
	struct pl_effect *fx = &slot->effect;

	memcpy(slot->bytes, c->entry_header, PL_ENTRY_HEADER_BYTES);
	fx->store.node = c->node;
	fx->store.lane = c->header.lane;
	fx->store.urgent = (c->header.flags & PL_FLAG_FLASH) != 0;
	fx->store.seq = c->header.seq;
	fx->store.gseq = c->header.gseq;
	memcpy(fx->store.id, c->id, PL_ID_BYTES);
	fx->store.header = slot->bytes;
	fx->store.body = c->body;
	fx->store.body_bytes = c->header.body_bytes;
	return slot->bytes;
}

static const uint8_t *store(struct pl_engine *e, const struct candidate *c)
{
	e->storing_bytes += PL_ENTRY_HEADER_BYTES + c->header.body_bytes;
	return pl_entry_effect(e, PL_FX_STORE, c);
}

static void remember(struct lane *lane, const struct candidate *c)
{
	struct recent *recent = &lane->recent[c->header.seq % PL_RECENT];

	recent->seq = c->header.seq;
	recent->gseq = c->header.gseq;
	recent->copies = 1;
	memcpy(recent->id, c->id, PL_ID_BYTES);
	memcpy(recent->scalar, c->entry_header + PL_HEADER_BYTES + 32, sizeof recent->scalar);
	lane->have_seq = c->header.seq;
	lane->have_gseq = c->header.gseq;
	memcpy(lane->have_id, c->id, PL_ID_BYTES);
}

/* A free place. One that is verified takes the place of one that only waits: nobody knows yet what that is worth. */
static struct flash *flash_slot(struct pl_engine *e, bool verified)
{
	struct flash *waiting = NULL;

	for (int i = 0; i < PL_FLASH_POOL; i++) {
		struct flash *flash = &e->flashes[i];
		if (!flash->used)
			return flash;
		if (flash->waiting)
			waiting = flash;
	}
	return verified ? waiting : NULL;
}

/* Keeps a FLASH in memory in its wire form. NULL if the pool is full: it then spreads as other entries do, after its commit. */
static struct flash *flash_keep(struct pl_engine *e, const struct candidate *c, uint16_t from_session)
{
	struct flash *flash = flash_slot(e, true);

	if (!flash)
		return NULL;
	flash->used = true;
	flash->own = flash->waiting = flash->release = false;
	flash->node = c->node;
	flash->seq = c->header.seq;
	flash->from_session = from_session;
	flash->wire_bytes = (uint32_t)pl_wire_write(c->node, PL_WIRE_FORM_NEXT, c->entry_header, c->body, c->header.body_bytes, flash->wire,
	                                            sizeof flash->wire);
	return flash;
}

static void check_clock(struct pl_engine *e, const struct session *s, const struct candidate *c)
{
	const uint64_t t = c->header.time_ms;

	/* Only what is fresh can be judged; an entry from catch-up is old by nature. */
	if (t > e->wall_ms && t - e->wall_ms > PL_CLOCK_SKEW_FLAG_MS)
		pl_note_entry(e, PL_NOTE_CLOCK_SKEW, s, c->node, c->header.lane, c->header.seq, "claims a time more than 5 minutes ahead");
}

/* PROTOCOL: "A node that is sent an entry of its own feed that it does not hold, but has signed, was restored from a copy: it authors nothing
 * more in this generation." */
static void self_is_behind(struct pl_engine *e, const struct session *s, uint8_t lane, uint64_t seq)
{
	if (e->self_behind)
		return;
	e->self_behind = true;
	pl_note_entry(e, PL_NOTE_SELF_BEHIND, s, e->self, lane, seq, "a peer held entries of this node that it lacked itself");
}

/* Authentic and next in its lane: it is ours now. s: from whom; NULL: authored here. */
static void accept(struct pl_engine *e, const struct session *s, const struct candidate *c)
{
	struct lane *lane = &e->lanes[pl_lane_index(c->node, c->header.lane)];
	uint8_t other_lane;
	uint64_t other_seq;

	if (s && pl_same_gseq(e, c, &other_lane, &other_seq))
		pl_suspect(e, s, c->node, c->entry_header, other_lane, other_seq);
	if (s && c->node == e->self)
		self_is_behind(e, s, c->header.lane, c->header.seq);
	remember(lane, c);
	e->counters.entries_accepted++;
	check_clock(e, s, c);
	(void)store(e, c);
}

/* --- receiving --- */

void pl_blame(struct pl_engine *e, struct session *s)
{
	struct peer *peer = &e->peers[s->peer];

	/* PROTOCOL: "More than 16 such in a minute end the link." */
	if (peer->refusals == 0 || e->now_ms - peer->refusals_since_ms >= PL_REFUSALS_MS) {
		peer->refusals_since_ms = e->now_ms;
		peer->refusals = 0;
	}
	if (++peer->refusals > PL_REFUSALS_MAX)
		pl_session_fault(e, s, "too many entries that do not check out");
}

bool pl_is_shunned(const struct pl_engine *e, const struct session *s, uint16_t node, uint8_t lane)
{
	return lane == 2 && s->shunned_until_s[node] > e->now_ms / 1000;
}

/* PROTOCOL: "An entry that does not check out is dropped, and the link stays: it may have been garbled before it reached this peer." The lane is
 * asked for elsewhere. */
void pl_refuse(struct pl_engine *e, struct session *s, const struct pl_wire *wire, const char *why)
{
	const uint32_t index = pl_lane_index(wire->node, wire->header.lane);

	e->counters.entries_refused++;
	pl_note_entry(e, PL_NOTE_ENTRY_REFUSED, s, wire->node, wire->header.lane, wire->header.seq, why);
	pl_announced(e, s, index, 0); /* until it says so again */
	if (e->lanes[index].fetch_session == s - e->sessions)
		pl_fetch_cancel(e, index);
	/* PROTOCOL: "Bulk that does not check out is not blamed on who sends it, but of that author it sends none for 60 s." */
	if (wire->header.lane == 2)
		s->shunned_until_s[wire->node] = (uint32_t)(e->now_ms / 1000 + PL_SHUN_S + 1);
	else
		pl_blame(e, s);
	pl_lane_pump(e, index, 0);
}

/* An entry for a place that is filled. Usually the same one by another way; if not, the author has forked, or the copy is garbled. */
static void duplicate(struct pl_engine *e, struct session *s, const struct pl_wire *wire, bool durable_at_peer, bool pushed)
{
	const uint32_t index = pl_lane_index(wire->node, wire->header.lane);
	struct recent *recent = &e->lanes[index].recent[wire->header.seq % PL_RECENT];

	e->counters.duplicates++;
	e->peers[s->peer].totals.duplicates_in++;
	if (wire->form == PL_WIRE_FORM_FULL) {
		pl_full_receive(e, s, wire);
		return;
	}
	/* Too old to tell from memory: an honest network sends such rarely, and a forker is found at the heads. */
	if (recent->seq != wire->header.seq || memcmp(recent->scalar, wire->signature + 32, sizeof recent->scalar) == 0) {
		if (durable_at_peer)
			pl_acked_up_to(e, s, index, wire->header.seq);
		/* PROTOCOL: "Who pushes a third copy of an entry is choked for that lane." */
		if (pushed && recent->seq == wire->header.seq && recent->copies++ >= PL_EAGER_COPIES) {
			recent->copies = PL_EAGER_COPIES;
			pl_choke(s, index);
		}
		return;
	}
	pl_want_full(e, s, wire->node, wire->header.lane, wire->header.seq);
}

/* Over quota nothing is lost: the entry stays with its holder and is asked for again when the author's bucket has filled. */
static bool quota_allows(struct pl_engine *e, const struct pl_wire *wire)
{
	const uint16_t node = wire->node;
	const uint8_t lane_number = wire->header.lane;
	struct lane *lane = &e->lanes[pl_lane_index(node, lane_number)];
	const uint64_t wait_ms = pl_quota_wait_ms(e, wire->node, wire->header.lane, wire->body_bytes);

	if (wait_ms == 0)
		return true;
	if (lane->quota_until_ms == 0)
		pl_note_entry(e, PL_NOTE_QUOTA, NULL, node, lane_number, lane->have_seq + 1, "over its quota");
	lane->quota_until_ms = wait_ms < PL_NEVER - e->now_ms ? e->now_ms + wait_ms : PL_NEVER;
	lane->want_at_ms = lane->quota_until_ms;
	pl_fetch_cancel(e, pl_lane_index(node, lane_number)); /* what still comes of it is dropped, and asked for again */
	pl_lane_timer(e, lane->quota_until_ms);
	e->counters.quota_waits++;
	return false;
}

/* PROTOCOL: "Quotas count against the signed author, never the relay." So only what is known to be the author's is counted. */
/* PROTOCOL: "An entry whose claimed time lies outside the validity of its author's certificate is refused." Otherwise it could be shown, and its
 * author deny it: no proof of it would verify. */
static bool is_certified(const struct pl_engine *e, uint16_t node, uint64_t time_ms)
{
	const struct pl_certificate *certificate = &e->charter->nodes[node].certificate;

	return time_ms >= certificate->valid_from_ms && time_ms <= certificate->valid_until_ms;
}

/* What can be said of a header by itself, and of its generation, charter epoch and time. */
static bool may_stand(const struct pl_engine *e, const struct candidate *c)
{
	struct pl_header header;

	return c->header.generation == pl_generation_of(e, c->node) && c->header.charter_epoch <= e->charter->epoch &&
	       is_certified(e, c->node, c->header.time_ms) && pl_header_decode(c->entry_header, &header) == PL_OK;
}

/* The next entry of its lane, to be verified by itself. */
static void receive_next(struct pl_engine *e, struct session *s, const struct pl_wire *wire, bool durable_at_peer)
{
	const uint32_t index = pl_lane_index(wire->node, wire->header.lane);
	struct lane *lane = &e->lanes[index];
	struct candidate c;

	/* PROTOCOL: "If prev is not the id of the receiver's head, one of the two is on another branch, and the receiver asks for the predecessor in
	 * full." */
	if (memcmp(wire->header.prev, lane->have_id, PL_ID_BYTES) != 0) {
		pl_candidate(e, wire, &c);
		if (lane->have_seq > 0 && may_stand(e, &c) && signature_holds(e, s, &c))
			pl_suspect(e, s, c.node, c.entry_header, c.header.lane, lane->have_seq);
		if (lane->have_seq > 0)
			pl_want_full(e, s, wire->node, wire->header.lane, lane->have_seq);
		pl_refuse(e, s, wire, "does not continue the chain that we have");
		return;
	}
	if (wire->header.gseq <= lane->have_gseq) {
		pl_refuse(e, s, wire, "gseq goes back");
		return;
	}
	/* PROTOCOL: "A receiver whose store has no room left for a lane takes nothing of it and asks for nothing of it; who pushes it is choked." */
	if (!pl_has_room(e, wire->header.lane)) {
		pl_fetch_cancel(e, index);
		pl_choke(s, index);
		return;
	}
	if (!quota_allows(e, wire))
		return;
	pl_candidate(e, wire, &c);
	if (!may_stand(e, &c)) {
		pl_refuse(e, s, wire, "its header breaks a rule");
		return;
	}
	if (!signature_holds(e, s, &c)) {
		pl_refuse(e, s, wire, pl_signature_is_bad);
		return;
	}
	pl_quota_take(e, c.node, c.header.lane, c.header.body_bytes);
	const bool flash = (c.header.flags & PL_FLAG_FLASH) != 0 && pl_quota_take_flash(e, c.node);
	struct flash *kept = flash ? flash_keep(e, &c, (uint16_t)(s - e->sessions)) : NULL;
	accept(e, s, &c);
	if (flash)
		pl_dials_hurry(e, PL_REDIAL_FLASH_MS, PL_NODE_NONE);
	if (durable_at_peer)
		pl_acked_up_to(e, s, index, c.header.seq);
	if (kept) {
		pl_flash_flood(e, kept); /* forward before commit */
		kept->used = false;
		e->counters.flash_forwarded++;
	}
	pl_lane_progress(e, index);
}

/* A FLASH that came before its predecessors waits in memory for them. Nothing is known of it yet, so that it gets a place only where there is
 * one, and one peer not all of them; without, it comes again after its sender's commit. */
static void flash_hold(struct pl_engine *e, struct session *s, const struct pl_wire *wire, const uint8_t *bytes, uint32_t count)
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
	assert(count <= sizeof flash->wire); /* pl_wire_read() knows the limit of a FLASH */
	flash->used = flash->waiting = true;
	flash->own = flash->release = false;
	flash->node = wire->node;
	flash->seq = wire->header.seq;
	flash->from_session = from;
	flash->wire_bytes = count;
	memcpy(flash->wire, bytes, count);
}

/* Lane 0 of this node has moved: those that waited for it, in order. */
static void flash_held_run(struct pl_engine *e, uint16_t node)
{
	const struct lane *lane = &e->lanes[pl_lane_index(node, 0)];

	for (int i = 0; i < PL_FLASH_POOL; i++) {
		struct flash *flash = &e->flashes[i];
		struct pl_wire wire;
		if (!flash->used || !flash->waiting || flash->node != node || flash->seq > lane->have_seq + 1)
			continue;
		struct session *s = &e->sessions[flash->from_session];
		flash->waiting = false;
		flash->release = true; /* effects borrow its bytes until the next step */
		if (flash->seq != lane->have_seq + 1 || !s->used || lane->frozen ||
		    pl_wire_read(flash->wire, flash->wire_bytes, &wire) != PL_OK)
			continue;
		receive_next(e, s, &wire, false);
		i = -1; /* the next may stand before it in the pool; each runs once */
	}
}

static void receive_and_release(struct pl_engine *e, struct session *s, const struct pl_wire *wire, bool durable_at_peer)
{
	const uint16_t node = wire->node;
	const uint8_t lane = wire->header.lane;

	receive_next(e, s, wire, durable_at_peer);
	if (lane == 0)
		flash_held_run(e, node);
}

static bool wire_is_ours_to_judge(struct pl_engine *e, struct session *s, const struct pl_wire *wire)
{
	if (wire->node >= e->nodes) {
		pl_session_fault(e, s, "entry of a node that is not in the charter");
		return false;
	}
	if (wire->header.generation != pl_generation_of(e, wire->node) || wire->header.charter_epoch > e->charter->epoch) {
		pl_refuse(e, s, wire, "generation or charter epoch not known here");
		return false;
	}
	return true;
}

static void in_queue_push(struct pl_engine *e, struct session *s, const uint8_t *bytes, uint32_t count, uint8_t flags)
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
	if (flags & PL_FRAME_CATCHUP)
		s->caught_ms = e->now_ms;
}

void pl_entry_receive(struct pl_engine *e, struct session *s, const uint8_t *bytes, uint32_t count, uint8_t flags)
{
	struct pl_wire wire;
	enum pl_err err = pl_wire_read(bytes, count, &wire);

	if (err != PL_OK) {
		pl_session_fault(e, s, err == PL_ERR_LIMIT ? "entry over a limit" : "entry malformed");
		return;
	}
	if (wire.header.lane == 2 || (flags & PL_FRAME_CATCHUP)) {
		in_queue_push(e, s, bytes, count, flags);
		return;
	}
	if (!wire_is_ours_to_judge(e, s, &wire))
		return;
	const uint32_t index = pl_lane_index(wire.node, wire.header.lane);
	const struct lane *lane = &e->lanes[index];
	if (wire.form == PL_WIRE_FORM_FULL || wire.header.seq <= lane->have_seq) {
		pl_announced(e, s, index, wire.header.seq);
		duplicate(e, s, &wire, (flags & PL_FRAME_FLASH) == 0, (flags & PL_FRAME_FLASH) == 0);
		return;
	}
	pl_announced(e, s, index, wire.header.seq);
	if (!(flags & PL_FRAME_FLASH))
		pl_holds(s, index, wire.header.seq);
	if (lane->frozen || e->store_failed)
		return;
	if (wire.header.seq > lane->have_seq + 1) {
		if (wire.header.flags & PL_FLAG_FLASH)
			flash_hold(e, s, &wire, bytes, count);
		pl_lane_pump(e, index, 0);
		return;
	}
	/* PROTOCOL: "Only what travels flagged FLASH may come before its sender's commit; any other entry is an acknowledgement too." */
	receive_and_release(e, s, &wire, (flags & PL_FRAME_FLASH) == 0);
}

/* --- bulk and catch-up --- */

static void in_queue_done(struct session *s, uint32_t cost)
{
	s->in_at += cost;
	s->in_checked -= cost < s->in_checked ? cost : s->in_checked;
	s->credit_owed += cost;
}

bool pl_in_queue_peek(const struct session *s, uint32_t at, struct pl_wire *wire, uint8_t *flags, uint32_t *cost)
{
	if (at == s->in_count)
		return false;
	const uint32_t count = pl_get32(s->in + at);
	*flags = s->in[at + 4];
	*cost = count + PL_IN_ITEM_BYTES;
	if (pl_wire_read(s->in + at + PL_IN_ITEM_BYTES, count, wire) != PL_OK)
		assert(!"checked when it was queued");
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

	if (!pl_in_queue_peek(s, at, &first, &flags, &cost))
		return 0;
	const uint32_t index = pl_lane_index(first.node, first.header.lane);
	struct lane *lane = &e->lanes[index];
	const struct lane before = *lane;
	while (entries < PL_BATCH_ENTRIES_MAX && pl_in_queue_peek(s, at, &wire, &flags, &cost)) {
		if (!pl_is_of_run(e, s, &wire, flags) || wire.node != first.node || wire.header.lane != first.header.lane ||
		    wire.header.seq != lane->have_seq + 1 || memcmp(wire.header.prev, lane->have_id, PL_ID_BYTES) != 0 ||
		    wire.header.gseq <= lane->have_gseq || pl_quota_wait_ms(e, wire.node, wire.header.lane, wire.body_bytes) > 0 || !pl_has_room(e, wire.header.lane))
			break;
		pl_candidate(e, &wire, &c);
		if (!may_stand(e, &c))
			break;
		if (same.node == PL_NODE_NONE && pl_same_gseq(e, &c, &other_lane, &other_seq))
			same = c;
		pl_quota_take(e, c.node, c.header.lane, c.header.body_bytes);
		remember(lane, &c);
		last = store(e, &c);
		at += cost;
		entries++;
	}
	if (entries < 2 || pl_lane_verify(e, last) != PL_OK) {
		*lane = before;
		e->effects_count = effects_before;
		e->storing_bytes = storing_before;
		return 0;
	}
	e->counters.entries_accepted += entries;
	e->counters.catchup_batched += entries - 1;
	if (same.node != PL_NODE_NONE)
		pl_suspect(e, s, same.node, same.entry_header, other_lane, other_seq);
	if (first.node == e->self)
		self_is_behind(e, s, first.header.lane, first.header.seq);
	pl_acked_up_to(e, s, index, lane->have_seq);
	pl_lane_progress(e, index);
	return at - s->in_at;
}

static void in_queue_run_single(struct pl_engine *e, struct session *s, const struct pl_wire *wire, uint8_t flags)
{
	const uint32_t index = pl_lane_index(wire->node, wire->header.lane);
	const struct lane *lane = &e->lanes[index];

	pl_announced(e, s, index, wire->header.seq);
	if (wire->header.seq > lane->have_seq)
		pl_holds(s, index, wire->header.seq);
	if (wire->form == PL_WIRE_FORM_FULL || wire->header.seq <= lane->have_seq)
		duplicate(e, s, wire, true, (flags & PL_FRAME_CATCHUP) == 0);
	else if (wire->header.seq > lane->have_seq + 1)
		pl_lane_pump(e, index, 0);
	else
		receive_and_release(e, s, wire, true);
}

bool pl_in_queue_waits(const struct pl_engine *e, const struct session *s)
{
	return s->used && s->in_at < s->in_count && pl_bulk_may_go(e) && pl_check_may_go(e, s);
}

void pl_in_queue_run(struct pl_engine *e, struct session *s)
{
	const uint64_t verified = e->counters.signatures_verified;
	struct pl_wire wire;
	uint32_t cost;
	uint8_t flags;

	while (pl_in_queue_waits(e, s) && e->counters.signatures_verified - verified < PL_VERIFY_SLICE && e->effects_count < PL_EFFECTS_SLICE &&
	       !pl_check_ahead(e, s) && pl_in_queue_peek(s, s->in_at, &wire, &flags, &cost)) {
		if (!wire_is_ours_to_judge(e, s, &wire)) {
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
	if (s->used && s->in_at == s->in_count) {
		s->in_at = s->in_count = 0;
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
	if (pl_control(s, PL_FRAME_CREDIT, 0, 0, payload, sizeof payload))
		s->credit_owed = 0;
}

/* --- authoring --- */

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
	/* Signed, it would stand in the way of all that follow. */
	if (!is_certified(e, e->self, e->wall_ms))
		return PL_ERR_EXPIRED;
	if (!pl_has_room(e, lane_number))
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
	for (uint8_t i = 0; i < 2; i++) {
		const struct lane *l = &e->lanes[pl_lane_index(e->self, (uint8_t)((lane_number + 1 + i) % PL_LANES))];
		c.header.others[i].seq = l->have_seq;
		memcpy(c.header.others[i].id8, l->have_id, PL_HEAD8_BYTES);
	}
	memcpy(c.header.author, e->charter->nodes[e->self].certificate.node_id, PL_NODE_ID_BYTES);
	memcpy(c.header.prev, lane->have_id, PL_ID_BYTES);
	pl_body_hash(c.body, c.header.body_bytes, c.header.body_hash);
	pl_header_encode(&c.header, c.entry_header);
	pl_entry_sign(e->network_id, e->config.sign_secret, c.entry_header);
	pl_entry_id(e->network_id, c.entry_header, c.id);
	accept(e, NULL, &c);
	if (flags & PL_FLAG_FLASH) {
		/* PROTOCOL: "A FLASH makes a node dial at once, whatever the wait, all that it has an address for and no link to: its own when it is
		 * signed, that of another within a second at random when it is taken." */
		pl_dials_hurry(e, 0, PL_NODE_NONE);
		struct flash *kept = flash_keep(e, &c, PL_NONE16);
		if (kept)
			kept->own = true; /* flooded when durable: an own entry never leaves before */
	}
	event->submit.seq = c.header.seq;
	event->submit.gseq = c.header.gseq;
	memcpy(event->submit.id, c.id, PL_ID_BYTES);
	return PL_OK;
}

/* --- the store answers --- */

void pl_lane_stored(struct pl_engine *e, const struct pl_event *event)
{
	const uint16_t node = event->stored.node;
	const uint8_t lane_number = event->stored.lane;
	const uint64_t seq = event->stored.seq;
	const uint32_t index = pl_lane_index(node, lane_number);
	struct lane *lane = &e->lanes[index];

	assert(seq > lane->durable_seq && seq <= lane->have_seq);
	lane->durable_seq = seq;
	lane->durable_gseq = event->stored.gseq;
	memcpy(lane->durable_id, event->stored.id, PL_ID_BYTES);
	e->root_known = false;
	e->storing_bytes -= event->stored.bytes < e->storing_bytes ? event->stored.bytes : e->storing_bytes;
	for (int i = 0; i < PL_FLASH_POOL; i++) {
		struct flash *flash = &e->flashes[i];
		if (flash->used && flash->own && lane_number == 0 && node == e->self && flash->seq <= seq) {
			pl_flash_flood(e, flash);
			flash->used = flash->own = false;
		}
	}
	pl_fork_stored(e, node, lane_number, seq);
	pl_acked_ahead(e, index);
	pl_tell_head(e, index, lane_number == 0);
	pl_dials_hurry(e, PL_BACKOFF_HELD_MS_MAX, node); /* it is held now for whoever is down, but for its author */
}

void pl_lane_store_failed(struct pl_engine *e)
{
	e->store_failed = true;
	e->storing_bytes = 0;
	for (uint32_t i = 0; i < e->lanes_count; i++) {
		struct lane *lane = &e->lanes[i];
		if (lane->have_seq == lane->durable_seq)
			continue;
		lane->have_seq = lane->durable_seq;
		lane->have_gseq = lane->durable_gseq;
		memcpy(lane->have_id, lane->durable_id, PL_ID_BYTES);
		memset(lane->recent, 0, sizeof lane->recent);
	}
	for (int i = 0; i < PL_FLASH_POOL; i++)
		e->flashes[i].used = false;
	pl_fork_store_failed(e);
	pl_link_drain(e, PL_BYE_STORE, "the store takes nothing now");
}
