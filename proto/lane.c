#include <assert.h>
#include <string.h>

#include "proto/parts.h"

void pl_candidate(const struct pl_engine *e, const struct pl_wire *wire, struct candidate *out)
{
	out->node = wire->node;
	out->header = wire->header;
	out->body = wire->body;
	memcpy(out->header.author, e->charter->nodes[wire->node].certificate.node_id, PL_NODE_ID_BYTES);
	if (wire->body_hash)
		memcpy(out->header.body_hash, wire->body_hash, PL_ID_BYTES);
	else
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

bool pl_signature_holds(struct pl_engine *e, const struct session *s, const struct candidate *c)
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

const uint8_t *pl_lane_store(struct pl_engine *e, const struct candidate *c)
{
	e->storing_bytes += PL_ENTRY_HEADER_BYTES + c->header.body_bytes;
	return pl_entry_effect(e, PL_FX_STORE, c);
}

void pl_lane_remember(struct lane *lane, const struct candidate *c)
{
	struct recent *recent = &lane->recent[c->header.seq % PL_RECENT];

	recent->seq = c->header.seq;
	recent->gseq = c->header.gseq;
	recent->copies = 1;
	recent->from[0] = PL_NONE16;
	memcpy(recent->id, c->id, PL_ID_BYTES);
	memcpy(recent->scalar, c->entry_header + PL_HEADER_BYTES + 32, sizeof(recent->scalar));
	lane->have_kept_bytes += pl_entry_kept_bytes(c->header.kind, c->header.body_bytes);
	lane->have_seq = c->header.seq;
	lane->have_gseq = c->header.gseq;
	memcpy(lane->have_id, c->id, PL_ID_BYTES);
}

void pl_lane_claims(struct pl_engine *e, const struct session *s, uint16_t node, const struct pl_header *header)
{
	struct lane *lane = &e->lanes[pl_lane_index(node, header->lane)];

	/* PROTOCOL: "A lane's head never goes back from one entry to a later one of the same feed." */
	if (header->others[0].seq < lane->heads[0] || header->others[1].seq < lane->heads[1]) {
		e->counters.heads_back++;
		pl_note_entry(e, PL_NOTE_HEAD_BACK, s, node, header->lane, header->seq, "names an older head of another lane than the entry before it");
	}
	for (int i = 0; i < 2; i++)
		lane->heads[i] = header->others[i].seq;
	/* Only what is fresh can be judged to be late; an entry from catch-up is old by nature. */
	if (header->time_ms > e->wall_ms && header->time_ms - e->wall_ms > PL_CLOCK_SKEW_FLAG_MS)
		pl_note_entry(e, PL_NOTE_CLOCK_SKEW, s, node, header->lane, header->seq, "claims a time more than 5 minutes ahead");
}

/* PROTOCOL: "A node that is sent an entry of its own feed that it does not hold, but has signed, was restored from a copy: it authors nothing
 * more in this generation." */
void pl_self_is_behind(struct pl_engine *e, const struct session *s, uint8_t lane, uint64_t seq)
{
	if (e->self_behind)
		return;
	e->self_behind = true;
	pl_note_entry(e, PL_NOTE_SELF_BEHIND, s, e->self, lane, seq, "a peer held entries of this node that it lacked itself");
}

/* PROTOCOL: "While a live peer names such entries the node authors nothing, for 3 s at most a peer, and 30 s in all." */
void pl_self_doubt(struct pl_engine *e, const struct session *s)
{
	struct peer *peer = &e->peers[s->peer];
	const uint64_t until_ms = e->now_ms + PL_DOUBT_MS, from_ms = e->doubt_until_ms > e->now_ms ? e->doubt_until_ms : e->now_ms;

	if (peer->doubted || e->doubted_ms + (until_ms - from_ms) > PL_DOUBTS_MS_MAX)
		return;
	peer->doubted = true;
	e->doubted_ms += until_ms - from_ms;
	e->doubt_until_ms = until_ms;
}

/* Authentic and next in its lane: it is ours now. s: from whom; NULL: authored here. */
void pl_lane_accept(struct pl_engine *e, const struct session *s, const struct candidate *c)
{
	struct lane *lane = &e->lanes[pl_lane_index(c->node, c->header.lane)];
	uint8_t other_lane;
	uint64_t other_seq;

	if (s && pl_same_gseq(e, c, &other_lane, &other_seq))
		pl_suspect(e, s, c->node, c->entry_header, other_lane, other_seq);
	if (s && c->node == e->self)
		pl_self_is_behind(e, s, c->header.lane, c->header.seq);
	pl_lane_claims(e, s, c->node, &c->header);
	pl_lane_remember(lane, c);
	e->counters.entries_accepted++;
	(void)pl_lane_store(e, c);
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
static void refuse(struct pl_engine *e, struct session *s, const struct pl_wire *wire, const char *why, bool blamed)
{
	const uint32_t index = pl_lane_index(wire->node, wire->header.lane);

	e->counters.entries_refused++;
	pl_note_entry(e, PL_NOTE_ENTRY_REFUSED, s, wire->node, wire->header.lane, wire->header.seq, why);
	pl_announced(e, s, index, 0); /* until it says so again */
	pl_fetch_refused(e, s, index);
	/* PROTOCOL: "Bulk that does not check out is not blamed on who sends it, but of that author it sends none for 60 s." */
	if (wire->header.lane == 2)
		s->shunned_until_s[wire->node] = (uint32_t)(e->now_ms / 1000 + PL_SHUN_S + 1);
	else if (blamed)
		pl_blame(e, s);
	pl_lane_pump(e, index, 0);
}

void pl_refuse(struct pl_engine *e, struct session *s, const struct pl_wire *wire, const char *why)
{
	refuse(e, s, wire, why, true);
}

/* One that pushes an entry twice shows nothing of how many push it. */
static bool has_brought(const struct recent *recent, uint16_t session)
{
	for (uint8_t i = 0; i < recent->copies; i++) {
		if (recent->from[i] == session)
			return true;
	}
	return false;
}

/* An entry for a place that is filled. Usually the same one by another way; if not, the author has forked, or the copy is garbled. */
void pl_duplicate(struct pl_engine *e, struct session *s, const struct pl_wire *wire, bool durable_at_peer, bool pushed)
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
	if (recent->seq != wire->header.seq || memcmp(recent->scalar, wire->signature + 32, sizeof(recent->scalar)) == 0) {
		if (durable_at_peer && recent->seq == wire->header.seq)
			pl_acked_up_to(e, s, index, wire->header.seq);
		/* PROTOCOL: "Who pushes a third copy of an entry is choked for that lane." */
		if (pushed && recent->seq == wire->header.seq && !has_brought(recent, (uint16_t)(s - e->sessions))) {
			if (recent->copies == PL_EAGER_COPIES)
				pl_choke(s, index);
			else
				recent->from[recent->copies++] = (uint16_t)(s - e->sessions);
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

/* PROTOCOL: "An entry whose claimed time lies outside the validity of its author's certificate is refused." Otherwise it could be shown, and its
 * author deny it: no proof of it would verify. */
bool pl_is_certified(const struct pl_engine *e, uint16_t node, uint64_t time_ms)
{
	const struct pl_certificate *certificate = &e->charter->nodes[node].certificate;

	return time_ms >= certificate->valid_from_ms && time_ms <= certificate->valid_until_ms;
}

/* What can be said of a header by itself, and of its generation, charter epoch and time. */
bool pl_may_stand(const struct pl_engine *e, const struct candidate *c)
{
	struct pl_header header;

	return c->header.generation == pl_generation_of(e, c->node) && c->header.charter_epoch <= e->charter->epoch &&
	       pl_is_certified(e, c->node, c->header.time_ms) && pl_header_decode(c->entry_header, &header) == PL_OK;
}

bool pl_share_is_full(const struct pl_engine *e, uint16_t node, uint8_t lane)
{
	const struct pl_member *member = &e->charter->members[e->charter->nodes[node].member];
	uint64_t bytes = 0;

	if (node == e->self) /* what this node says itself is its operators' affair */
		return false;
	for (uint16_t i = 0; i < member->nodes_count; i++)
		bytes += e->lanes[pl_lane_index((uint16_t)(member->first_node + i), lane)].have_kept_bytes;
	return bytes >= e->lane_bytes_max;
}

bool pl_has_room(const struct pl_engine *e, uint16_t node, uint8_t lane)
{
	return lane < e->lanes_with_room && !pl_share_is_full(e, node, lane);
}

void pl_share_note(struct pl_engine *e, const struct session *s, uint16_t node, uint8_t number)
{
	struct lane *lane = &e->lanes[pl_lane_index(node, number)];

	if (lane->share_full || number >= e->lanes_with_room || !pl_share_is_full(e, node, number))
		return;
	lane->share_full = true;
	e->counters.shares_filled++;
	pl_note_entry(e, PL_NOTE_SHARE, s, node, number, lane->have_seq + 1, "its member has filled its share of the disk in this lane");
}

/* The next entry of its lane, to be verified by itself. */
void pl_receive_next(struct pl_engine *e, struct session *s, const struct pl_wire *wire, bool durable_at_peer)
{
	const uint32_t index = pl_lane_index(wire->node, wire->header.lane);
	struct lane *lane = &e->lanes[index];
	struct candidate c;

	/* PROTOCOL: "If prev is not the id of the receiver's head, one of the two is on another branch, and the receiver asks for the predecessor in
	 * full." */
	if (memcmp(wire->header.prev, lane->have_id, PL_ID_BYTES) != 0) {
		pl_candidate(e, wire, &c);
		const bool is_branch = lane->have_seq > 0 && pl_may_stand(e, &c) && pl_signature_holds(e, s, &c);
		if (is_branch)
			pl_suspect(e, s, c.node, c.entry_header, c.header.lane, lane->have_seq);
		if (lane->have_seq > 0)
			pl_compare(s, index, lane->have_seq);
		/* PROTOCOL: "Another branch, signed by its author, is blamed on nobody who sends it." */
		refuse(e, s, wire, "does not continue the chain that we have", !is_branch);
		return;
	}
	if (wire->header.gseq <= lane->have_gseq) {
		pl_refuse(e, s, wire, "gseq goes back");
		return;
	}
	pl_share_note(e, s, wire->node, wire->header.lane);
	/* PROTOCOL: "A receiver whose store has no room left for a lane takes nothing of it and asks for nothing of it; who pushes it is choked." */
	if (!pl_has_room(e, wire->node, wire->header.lane)) {
		pl_fetch_cancel(e, index);
		pl_choke(s, index);
		return;
	}
	if (!quota_allows(e, wire))
		return;
	pl_candidate(e, wire, &c);
	if (!pl_may_stand(e, &c)) {
		pl_refuse(e, s, wire, "its header breaks a rule");
		return;
	}
	if (!pl_signature_holds(e, s, &c)) {
		pl_refuse(e, s, wire, pl_signature_is_bad);
		return;
	}
	pl_quota_take(e, c.node, c.header.lane, c.header.body_bytes);
	const bool flash = (c.header.flags & PL_FLAG_FLASH) != 0 && pl_quota_take_flash(e, c.node);
	struct flash *kept = flash ? pl_flash_keep(e, &c, (uint16_t)(s - e->sessions)) : NULL;
	pl_lane_accept(e, s, &c);
	lane->recent[c.header.seq % PL_RECENT].from[0] = (uint16_t)(s - e->sessions);
	if (flash)
		pl_dials_hurry(e, PL_REDIAL_FLASH_MS, PL_NODE_NONE);
	if (durable_at_peer)
		pl_acked_up_to(e, s, index, c.header.seq);
	if (kept) {
		pl_flash_flood(e, kept); /* forward before commit */
		kept->used = false;
		e->counters.flash_forwarded++;
	}
	pl_lane_progress(e, s, index);
}

void pl_receive(struct pl_engine *e, struct session *s, const struct pl_wire *wire, bool durable_at_peer)
{
	const uint16_t node = wire->node;
	const uint8_t lane = wire->header.lane;

	pl_receive_next(e, s, wire, durable_at_peer);
	if (lane == 0)
		pl_flash_held_run(e, node);
}

bool pl_is_ours_to_judge(struct pl_engine *e, struct session *s, const struct pl_wire *wire)
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

void pl_entry_receive(struct pl_engine *e, struct session *s, const uint8_t *bytes, uint32_t count, uint8_t flags)
{
	struct pl_wire wire;
	enum pl_err err = pl_wire_read(bytes, count, &wire);

	if (err != PL_OK) {
		pl_session_fault(e, s, err == PL_ERR_LIMIT ? "entry over a limit" : "entry malformed");
		return;
	}
	if (wire.header.lane == 2 || (flags & PL_FRAME_CATCHUP)) {
		pl_in_queue_push(e, s, bytes, count, flags);
		if (s->used && (flags & PL_FRAME_CATCHUP))
			pl_fetch_queued(e, s, &wire);
		return;
	}
	if (!pl_is_ours_to_judge(e, s, &wire))
		return;
	const uint32_t index = pl_lane_index(wire.node, wire.header.lane);
	const struct lane *lane = &e->lanes[index];
	if (wire.form == PL_WIRE_FORM_FULL || wire.header.seq <= lane->have_seq) {
		pl_announced(e, s, index, wire.header.seq);
		pl_duplicate(e, s, &wire, (flags & PL_FRAME_FLASH) == 0, (flags & PL_FRAME_FLASH) == 0);
		return;
	}
	pl_announced(e, s, index, wire.header.seq);
	if (!(flags & PL_FRAME_FLASH) && (e->store_failed || wire.header.seq > lane->have_seq + 1))
		pl_holds_sent(e, s, &wire);
	if (lane->frozen)
		return;
	if ((wire.header.flags & PL_FLAG_FLASH) && (e->store_failed || !pl_has_room(e, wire.node, 0))) {
		pl_flash_relay(e, s, &wire);
		if (s->used && !e->store_failed)
			pl_share_note(e, s, wire.node, 0);
		return;
	}
	if (e->store_failed)
		return;
	if (wire.header.seq > lane->have_seq + 1) {
		if (wire.header.flags & PL_FLAG_FLASH)
			pl_flash_hold(e, s, &wire, bytes, count);
		pl_lane_pump(e, index, 0);
		return;
	}
	/* PROTOCOL: "Only what travels flagged FLASH may come before its sender's commit; any other entry is an acknowledgement too." */
	pl_receive(e, s, &wire, (flags & PL_FRAME_FLASH) == 0);
	if (s->used && !(flags & PL_FRAME_FLASH))
		pl_holds_sent(e, s, &wire);
	/* What is pushed is fresh, and its time can be judged; what was asked for is old by nature. */
	if (lane->have_seq >= wire.header.seq && wire.header.time_ms + PL_CLOCK_SKEW_FLAG_MS < e->wall_ms)
		pl_note_entry(e, PL_NOTE_CLOCK_SKEW, s->used ? s : NULL, wire.node, wire.header.lane, wire.header.seq, "claims a time more than 5 minutes ago");
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
	lane->durable_kept_bytes += event->stored.kept_bytes;
	memcpy(lane->durable_id, event->stored.id, PL_ID_BYTES);
	pl_digest_moved(e, index);
	if (e->storing_bytes >= PL_STORING_BYTES_MAX)
		e->storing_full_ms = e->now_ms;
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
		lane->have_kept_bytes = lane->durable_kept_bytes;
		memcpy(lane->have_id, lane->durable_id, PL_ID_BYTES);
		memset(lane->heads, 0, sizeof(lane->heads)); /* what went with these is not counted against those that come again */
	}
	for (uint32_t i = 0; i < e->lanes_count; i++)
		pl_fetch_cancel(e, i);
	for (int i = 0; i < PL_FLASH_POOL; i++)
		e->flashes[i].used = false;
	pl_fork_store_failed(e);
}

/* What has come meanwhile was not taken in, and is asked for now. */
void pl_lane_store_ready(struct pl_engine *e)
{
	e->store_failed = false;
	for (int i = 0; i < PL_FLASH_POOL; i++) {
		if (e->flashes[i].relayed)
			e->flashes[i].used = e->flashes[i].relayed = false;
	}
	for (uint32_t i = 0; i < e->lanes_count; i++)
		pl_lane_pump(e, i, 0);
}
