/* Equivocation: what shows it, what proves it, and who hears of it. PROTOCOL.md, "Equivocation". */
#include <assert.h>
#include <string.h>

#include "proto/parts.h"

/* PROTOCOL: "So do two entries of one lane of which the second is the next after the first by its seq, and does not name the id of the first as its
 * prev." */
static bool breaks_chain(const struct pl_header *first, const struct pl_header *second, const uint8_t first_id[PL_ID_BYTES])
{
	return first->lane == second->lane && second->seq == first->seq + 1 && memcmp(second->prev, first_id, PL_ID_BYTES) != 0;
}

/* PROTOCOL: "Two different entries of one author and generation with the same lane and seq, or with the same gseq, prove equivocation." */
static bool headers_prove_fork(const struct pl_engine *e, uint16_t node, const uint8_t *a, const uint8_t *b)
{
	struct pl_header ha, hb;
	uint8_t id_a[PL_ID_BYTES], id_b[PL_ID_BYTES];

	if (pl_header_decode(a, &ha) != PL_OK || pl_header_decode(b, &hb) != PL_OK)
		return false;
	if (memcmp(ha.author, e->charter->nodes[node].certificate.node_id, PL_NODE_ID_BYTES) != 0 ||
	    memcmp(hb.author, ha.author, PL_NODE_ID_BYTES) != 0 || ha.generation != hb.generation)
		return false;
	pl_entry_id(e->network_id, a, id_a);
	pl_entry_id(e->network_id, b, id_b);
	if (!(ha.lane == hb.lane && ha.seq == hb.seq) && ha.gseq != hb.gseq && !breaks_chain(&ha, &hb, id_a) && !breaks_chain(&hb, &ha, id_b))
		return false;
	return memcmp(id_a, id_b, PL_ID_BYTES) != 0 && pl_entry_verify(e->network_id, a) == PL_OK && pl_entry_verify(e->network_id, b) == PL_OK;
}

static bool is_forked(const struct pl_engine *e, uint16_t node)
{
	for (uint32_t i = 0; i < e->forks_count; i++) {
		if (e->forks[i].node == node)
			return true;
	}
	return false;
}

static bool fork_send(struct session *s, const struct fork *fork)
{
	uint8_t payload[2 + 2 * PL_ENTRY_HEADER_BYTES];

	pl_put16(payload, fork->node);
	memcpy(payload + 2, fork->headers[0], PL_ENTRY_HEADER_BYTES);
	memcpy(payload + 2 + PL_ENTRY_HEADER_BYTES, fork->headers[1], PL_ENTRY_HEADER_BYTES);
	return pl_control(s, PL_FRAME_FORK, 0, 0, payload, sizeof(payload));
}

/* One fork an author is enough. */
static struct fork *fork_keep(struct pl_engine *e, uint16_t node, const uint8_t *a, const uint8_t *b)
{
	assert(e->forks_count < e->nodes && !is_forked(e, node));
	struct fork *fork = &e->forks[e->forks_count++];

	for (uint16_t i = 0; i < e->sessions_ever; i++)
		e->chores[i] |= CHORE_SEND; /* all are told */
	fork->node = node;
	memcpy(fork->headers[0], a, PL_ENTRY_HEADER_BYTES);
	memcpy(fork->headers[1], b, PL_ENTRY_HEADER_BYTES);
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		pl_fetch_cancel(e, pl_lane_index(node, lane));
		e->lanes[pl_lane_index(node, lane)].frozen = true;
	}
	return fork;
}

/* Both branches are kept where they are, the author's lanes take nothing more, and everybody hears of it. */
static void fork_proven(struct pl_engine *e, uint16_t node, const uint8_t *a, const uint8_t *b)
{
	if (is_forked(e, node))
		return;
	const struct fork *fork = fork_keep(e, node, a, b);
	e->counters.forks++;
	struct pl_effect *fx = &pl_effect_add(e, PL_FX_FORK)->effect;
	fx->fork.node = node;
	fx->fork.header_a = fork->headers[0];
	fx->fork.header_b = fork->headers[1];
	pl_note_entry(e, PL_NOTE_FORK, NULL, node, pl_header_lane(b), pl_header_seq(b), "two signed entries for one place: the feed is frozen");
}

void pl_fork_restore(struct pl_engine *e, uint16_t node, const uint8_t *header_a, const uint8_t *header_b)
{
	if (!is_forked(e, node))
		(void)fork_keep(e, node, header_a, header_b);
}

/* To all live peers, and to each that comes up later. */
void pl_fork_tell(const struct pl_engine *e, struct session *s)
{
	while (s->state == PL_SESSION_LIVE && s->forks_told < e->forks_count && fork_send(s, &e->forks[s->forks_told]))
		s->forks_told++;
}

void pl_fork_receive(struct pl_engine *e, struct session *s, const uint8_t *payload, uint32_t count)
{
	if (count != 2 + 2 * PL_ENTRY_HEADER_BYTES || pl_get16(payload) >= e->nodes) {
		pl_session_fault(e, s, "fork malformed");
		return;
	}
	const uint16_t node = pl_get16(payload);
	if (is_forked(e, node))
		return;
	if (!headers_prove_fork(e, node, payload + 2, payload + 2 + PL_ENTRY_HEADER_BYTES)) {
		pl_session_fault(e, s, "fork that is none");
		return;
	}
	fork_proven(e, node, payload + 2, payload + 2 + PL_ENTRY_HEADER_BYTES);
}

static void suspicion_load(struct pl_engine *e, struct suspicion *x)
{
	struct pl_effect *fx = &pl_effect_add(e, PL_FX_LOAD)->effect;

	x->again_ms = 0;
	x->token = pl_load_token(e);
	fx->load.token = x->token;
	fx->load.node = x->node;
	fx->load.lane = x->lane;
	fx->load.from = x->seq;
	/* ours of that place may be vouched for by the next, and not signed well itself */
	fx->load.to = x->seq < e->lanes[pl_lane_index(x->node, x->lane)].durable_seq ? x->seq + 1 : x->seq;
	fx->load.max_bytes = 2 * (PL_ENTRY_HEADER_BYTES + PL_BODY_BYTES_MAX);
}

/* A free place, or that of the oldest check: of this peer's, where it has its share, so that it takes none from others. */
static struct suspicion *suspicion_place(struct pl_engine *e, uint16_t peer)
{
	struct suspicion *free = NULL, *oldest = NULL, *oldest_of_peer = NULL;
	int of_peer = 0;

	for (int i = 0; i < PL_SUSPICIONS; i++) {
		struct suspicion *x = &e->suspicions[i];
		if (!x->used) {
			free = x;
			continue;
		}
		if (!oldest || x->age < oldest->age)
			oldest = x;
		if (x->peer != peer)
			continue;
		of_peer++;
		if (!oldest_of_peer || x->age < oldest_of_peer->age)
			oldest_of_peer = x;
	}
	if (of_peer >= PL_SUSPICIONS_PER_PEER)
		return oldest_of_peer;
	return free ? free : oldest;
}

void pl_suspect(struct pl_engine *e, const struct session *s, uint16_t node, const uint8_t entry_header[PL_ENTRY_HEADER_BYTES], uint8_t lane,
                uint64_t seq)
{
	if (is_forked(e, node))
		return;
	for (int i = 0; i < PL_SUSPICIONS; i++) {
		const struct suspicion *x = &e->suspicions[i];
		if (x->used && x->node == node && x->lane == lane && x->seq == seq && memcmp(x->header, entry_header, PL_ENTRY_HEADER_BYTES) == 0)
			return; /* under way */
	}
	struct suspicion *place = suspicion_place(e, s->peer);
	*place = (struct suspicion){ .used = true, .node = node, .peer = s->peer, .lane = lane, .seq = seq, .age = e->suspicions_count++ };
	memcpy(place->header, entry_header, PL_ENTRY_HEADER_BYTES);
	if (seq <= e->lanes[pl_lane_index(node, lane)].durable_seq)
		suspicion_load(e, place);
}

/* --- asking for what differs --- */

void pl_full_asked(const struct pl_engine *e, struct session *s, uint16_t node, uint8_t lane, uint64_t seq)
{
	if (s->asked_full_count == PL_FULL_WANTS_MAX)
		memmove(s->asked_full, s->asked_full + 1, --s->asked_full_count * sizeof(*s->asked_full));
	s->asked_full[s->asked_full_count++] = (struct asked){ node, lane, seq, e->now_ms };
}

static bool is_open(const struct pl_engine *e, const struct asked *asked)
{
	return e->now_ms - asked->at_ms < PL_ANTI_ENTROPY_MS;
}

bool pl_full_is_asked(const struct pl_engine *e, const struct session *s, uint16_t node, uint8_t lane, uint64_t seq)
{
	for (uint8_t i = 0; i < s->asked_full_count; i++) {
		const struct asked *asked = &s->asked_full[i];
		if (asked->node == node && asked->lane == lane && asked->seq == seq && is_open(e, asked))
			return true;
	}
	return false;
}

void pl_compare(struct session *s, uint32_t index, uint64_t seq)
{
	s->to_compare_count += s->to_compare[index] == 0;
	s->to_compare[index] = seq;
}

/* PROTOCOL: "A head that has been compared and proves nothing is not asked for again." */
void pl_compare_head(struct session *s, uint32_t index, uint64_t seq, const uint8_t tag[PL_TAG_BYTES])
{
	if (memcmp(s->compared_tag[index], tag, PL_TAG_BYTES) != 0)
		pl_compare(s, index, seq);
}

/* PROTOCOL: "It asks for lanes 0 and 1 before lane 2, and begins where it left off." So what an author makes to differ without a proof, which only
 * bulk can, keeps nothing from being looked at. */
static uint32_t compare_pick(const struct pl_engine *e, struct session *s, uint64_t *seq)
{
	for (int bulk = 0; bulk < 2; bulk++) {
		for (uint32_t i = 0; i < e->lanes_count; i++) {
			const uint32_t index = (s->compare_next[bulk] + i) % e->lanes_count;
			if (s->to_compare[index] == 0 || (index % PL_LANES == 2) != (bulk == 1))
				continue;
			*seq = s->to_compare[index];
			s->to_compare[index] = 0;
			s->to_compare_count--;
			s->compare_next[bulk] = index + 1;
			return index;
		}
	}
	assert(!"there is one");
	return 0;
}

void pl_compare_run(struct pl_engine *e, struct session *s)
{
	while (s->state == PL_SESSION_LIVE && s->to_compare_count > 0 && PL_CONTROL_BYTES - s->control_count >= PL_FRAME_HEADER_BYTES + PL_WANT_BYTES) {
		/* PROTOCOL: "Of one peer a node waits for eight entries in full at most, for 30 s each." */
		if (s->asked_full_count == PL_FULL_WANTS_MAX && is_open(e, &s->asked_full[0]))
			return;
		uint64_t seq;
		const uint32_t index = compare_pick(e, s, &seq);
		if (!e->lanes[index].frozen && seq <= e->lanes[index].have_seq)
			pl_want_full(e, s, (uint16_t)(index / PL_LANES), (uint8_t)(index % PL_LANES), seq);
	}
}

/* What s has at this place has been compared with ours, in vain. Where ours is the head, the next entry may show more. */
static void compared(const struct pl_engine *e, struct session *s, const uint8_t header[PL_ENTRY_HEADER_BYTES], uint16_t node)
{
	const uint32_t index = pl_lane_index(node, pl_header_lane(header));
	uint8_t id[PL_ID_BYTES];

	if (e->lanes[index].durable_seq <= pl_header_seq(header))
		return;
	pl_entry_id(e->network_id, header, id);
	pl_tag(s->salt_in, id, s->compared_tag[index]);
}

static bool full_was_asked(struct session *s, const struct pl_wire *wire)
{
	for (uint8_t i = 0; i < s->asked_full_count; i++) {
		const struct asked *asked = &s->asked_full[i];
		if (asked->node != wire->node || asked->lane != wire->header.lane || asked->seq != wire->header.seq)
			continue;
		memmove(s->asked_full + i, s->asked_full + i + 1, (--s->asked_full_count - i) * sizeof(*s->asked_full));
		return true;
	}
	return false;
}

void pl_full_receive(struct pl_engine *e, struct session *s, const struct pl_wire *wire)
{
	const struct lane *lane = &e->lanes[pl_lane_index(wire->node, wire->header.lane)];
	const struct recent *recent = &lane->recent[wire->header.seq % PL_RECENT];
	struct candidate c;

	/* PROTOCOL: "An entry in full that it has not asked for it does not look at." Each costs a signature and a read of the store; and what is
	 * compared with a place that this node has not filled would be compared with nothing. */
	if (!full_was_asked(s, wire)) {
		pl_note_entry(e, PL_NOTE_ENTRY_REFUSED, s, wire->node, wire->header.lane, wire->header.seq, "in full, and not asked for");
		e->counters.entries_refused++;
		pl_blame(e, s);
		return;
	}
	pl_candidate(e, wire, &c);
	if (pl_repair_take(e, &c))
		return;
	if (wire->header.seq > lane->have_seq)
		return; /* what it was to be compared with is void: the store has failed since */
	if (recent->seq == wire->header.seq && memcmp(recent->id, c.id, PL_ID_BYTES) == 0)
		return;
	if (pl_lane_verify(e, c.entry_header) == PL_OK) {
		pl_suspect(e, s, c.node, c.entry_header, c.header.lane, c.header.seq);
	} else {
		compared(e, s, c.entry_header, c.node);
		pl_refuse(e, s, wire, pl_signature_is_bad);
	}
}

bool pl_fork_loaded(struct pl_engine *e, const struct pl_event *event)
{
	const struct pl_stored_entry *entries = event->loaded.entries;

	for (int i = 0; i < PL_SUSPICIONS; i++) {
		struct suspicion *x = &e->suspicions[i];
		if (!x->used || x->token != event->loaded.token)
			continue;
		if (event->loaded.lacked_memory) {
			x->token = 0;
			x->again_ms = e->now_ms + PL_LOAD_PAUSE_MS;
			pl_timer(e, x->again_ms);
			return true;
		}
		x->used = false;
		for (size_t k = 0; k < event->loaded.count; k++) {
			if (headers_prove_fork(e, x->node, entries[k].header, x->header))
				fork_proven(e, x->node, entries[k].header, x->header);
		}
		if (!is_forked(e, x->node) && e->peers[x->peer].session != PL_NONE16)
			compared(e, &e->sessions[e->peers[x->peer].session], x->header, x->node);
		return true;
	}
	return false;
}

bool pl_same_gseq(const struct pl_engine *e, const struct candidate *c, uint8_t *lane, uint64_t *seq)
{
	for (uint8_t other = 0; other < PL_LANES; other++) {
		const struct lane *l = &e->lanes[pl_lane_index(c->node, other)];
		if (other == c->header.lane)
			continue;
		if (l->have_seq > 0 && l->have_gseq == c->header.gseq) {
			*lane = other;
			*seq = l->have_seq;
			return true;
		}
		for (int i = 0; i < PL_RECENT; i++) {
			if (l->recent[i].seq == 0 || l->recent[i].gseq != c->header.gseq)
				continue;
			*lane = other;
			*seq = l->recent[i].seq;
			return true;
		}
	}
	return false;
}

void pl_fork_stored(struct pl_engine *e, uint16_t node, uint8_t lane, uint64_t seq)
{
	for (int i = 0; i < PL_SUSPICIONS; i++) {
		struct suspicion *x = &e->suspicions[i];
		if (x->used && x->token == 0 && x->node == node && x->lane == lane && x->seq <= seq)
			suspicion_load(e, x);
	}
}

void pl_fork_store_failed(struct pl_engine *e)
{
	for (int i = 0; i < PL_SUSPICIONS; i++)
		e->suspicions[i].used &= e->suspicions[i].token != 0 || e->suspicions[i].again_ms != 0; /* what it waited for is void */
}

void pl_fork_timers(struct pl_engine *e)
{
	for (int i = 0; i < PL_SUSPICIONS; i++) {
		struct suspicion *x = &e->suspicions[i];
		if (!x->used || x->again_ms == 0)
			continue;
		if (e->now_ms >= x->again_ms)
			suspicion_load(e, x);
		else
			pl_timer(e, x->again_ms);
	}
}
