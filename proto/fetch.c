/* What this node lacks: whom it asks, for how long it waits, whom it asks besides. Nothing that a peer claims is believed longer than it takes
 * to ask the next: PROTOCOL.md, "HAVE and WANT". */
#include <string.h>

#include "proto/parts.h"

static bool want_send(struct pl_engine *e, struct session *s, uint32_t index, uint64_t from, uint64_t to, uint8_t flags)
{
	struct pl_want want = { .node = (uint16_t)(index / PL_LANES), .lane = (uint8_t)(index % PL_LANES), .flags = flags, .from = from, .to = to };
	uint8_t payload[PL_WANT_BYTES];

	want.generation = pl_generation_of(e, want.node);
	pl_want_write(&want, payload);
	if (!pl_control(s, PL_FRAME_WANT, 0, 0, payload, sizeof(payload)))
		return false;
	if (!(flags & PL_WANT_FULL))
		s->choked[index] &= (uint8_t)~CHOKED_BY_US; /* who answers pushes again */
	e->counters.wants_sent++;
	return true;
}

static void cancel_send(struct session *s, uint32_t index)
{
	const uint8_t payload[4] = { (uint8_t)(index / PL_LANES >> 8), (uint8_t)(index / PL_LANES), (uint8_t)(index % PL_LANES), 0 };

	(void)pl_control(s, PL_FRAME_CANCEL, 0, 0, payload, sizeof(payload));
}

void pl_want_full(struct pl_engine *e, struct session *s, uint16_t node, uint8_t lane, uint64_t seq)
{
	if (!pl_full_is_asked(e, s, node, lane, seq) && want_send(e, s, pl_lane_index(node, lane), seq, seq, PL_WANT_FULL))
		pl_full_asked(e, s, node, lane, seq);
}

/* --- asking others besides --- */

/* Whether others are asked besides for this lane: what the rest of the sessions has been asked for need not be looked at if not. */
static bool has_others(uint32_t index)
{
	return index % PL_LANES <= 1;
}

static void others_arm(struct pl_engine *e, uint32_t index, uint64_t after_ms)
{
	struct lane *lane = &e->lanes[index];

	if (!has_others(index) || lane->others_at_ms != 0)
		return;
	lane->others_at_ms = e->now_ms + after_ms;
	pl_lane_timer(e, lane->others_at_ms);
}

static void other_done(struct session *s, uint32_t index)
{
	if (s->asked_to[index] == 0)
		return;
	s->asked_to[index] = 0;
	s->asked_count--;
}

static bool may_be_asked_too(const struct pl_engine *e, uint16_t session, uint32_t index)
{
	const struct session *s = &e->sessions[session];

	return session != e->lanes[index].fetch_session && pl_is_holder(e, s, index) && s->asked_to[index] == 0;
}

/* PROTOCOL: "Who is asked besides is drawn, of those that have left the fewest WANTs for this lane unanswered." */
static struct session *any_other(struct pl_engine *e, uint32_t index, bool *too_many)
{
	uint8_t fewest = UINT8_MAX;
	uint32_t count = 0;

	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (!may_be_asked_too(e, i, index))
			continue;
		*too_many |= e->sessions[i].asked_count >= PL_OTHERS_LANES_MAX;
		if (e->sessions[i].asked_count >= PL_OTHERS_LANES_MAX || *pl_unanswered(e, &e->sessions[i], index) > fewest)
			continue;
		count = *pl_unanswered(e, &e->sessions[i], index) < fewest ? 1 : count + 1;
		fewest = *pl_unanswered(e, &e->sessions[i], index);
	}
	if (count == 0)
		return NULL;
	uint32_t drawn = pl_draw(e) % count;
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (may_be_asked_too(e, i, index) && e->sessions[i].asked_count < PL_OTHERS_LANES_MAX && *pl_unanswered(e, &e->sessions[i], index) == fewest &&
		    drawn-- == 0)
			return &e->sessions[i];
	}
	return NULL;
}

/* False: nobody else could be asked. */
static bool others_ask_one(struct pl_engine *e, uint32_t index, bool *too_many)
{
	const uint64_t from = e->lanes[index].have_seq + 1, most = e->lanes[index].have_seq + PL_OTHERS_ENTRIES;
	struct session *s = any_other(e, index, too_many);

	if (!s)
		return false;
	const uint64_t to = s->peer_has[index] < most ? s->peer_has[index] : most;
	if (!want_send(e, s, index, from, to, 0))
		return false;
	s->asked_to[index] = to;
	s->asked_count++;
	return true;
}

/* PROTOCOL: "If a lane 0 or 1 that was asked for has not come after 200 ms, another that has announced it is asked too, 200 ms later two more, then
 * four, and so on." So who only claims to have it keeps nothing from us. How many lanes one peer is asked for so at once is bounded: on a thin
 * link, where all takes long, few things come twice. */
static void others_ask(struct pl_engine *e, uint32_t index)
{
	struct lane *lane = &e->lanes[index];
	const bool busy = e->sessions[lane->fetch_session].answered_ms + PL_OTHERS_MS > e->now_ms;
	bool more = true, too_many = false;

	/* PROTOCOL: "In lane 1, where an entry may be large: not while pieces of it come." */
	if (index % PL_LANES == 1 && e->now_ms - lane->fetch_progress_ms < PL_OTHERS_BUSY_MS && lane->fetch_progress_ms > lane->fetch_since_ms) {
		lane->others_at_ms = 0;
		others_arm(e, index, PL_OTHERS_BUSY_MS);
		return;
	}

	for (uint32_t i = 0; more && i < 1u << lane->others_round; i++)
		more = others_ask_one(e, index, &too_many);
	if (lane->others_round < 6)
		lane->others_round++;
	lane->others_at_ms = 0;
	if (more || too_many)
		others_arm(e, index, busy ? PL_OTHERS_BUSY_MS : PL_OTHERS_MS);
}

/* Where those that should push do not, a few of those that have it are asked as soon as they say so. */
static void others_at_once(struct pl_engine *e, uint32_t index)
{
	bool too_many = false;

	while (e->lanes[index].others_at_once > 0 && others_ask_one(e, index, &too_many))
		e->lanes[index].others_at_once--;
}

/* Another than who was asked first has brought the next entry: the rest is fetched from there. */
static void fetch_taken_over(struct pl_engine *e, struct session *s, uint32_t index)
{
	struct lane *lane = &e->lanes[index];
	struct session *before = &e->sessions[lane->fetch_session];

	pl_strike(e, before, index);
	cancel_send(before, index);
	lane->fetch_session = (uint16_t)(s - e->sessions);
	lane->fetch_to = s->asked_to[index];
	lane->fetch_queued = 0;
	lane->fetch_since_ms = e->now_ms;
	pl_turn_begin(e, index, lane->fetch_session);
	other_done(s, index);
}

/* Nobody is asked for this lane any more; who was asked first knows it, or is gone. */
static void fetch_end(struct pl_engine *e, uint32_t index)
{
	for (uint16_t i = 0; i < e->sessions_ever && has_others(index); i++) {
		struct session *s = &e->sessions[i];
		if (!s->used || s->asked_to[index] == 0)
			continue;
		cancel_send(s, index);
		other_done(s, index);
	}
	if (e->lanes[index].fetch_session != PL_NONE16)
		e->lanes[index].turn_ms += e->now_ms - e->lanes[index].fetch_since_ms;
	e->lanes[index].fetch_session = PL_NONE16;
	e->lanes[index].others_at_ms = 0;
}

/* --- asking --- */

/* overdue: those that push this lane should have brought it by now. */
static void fetch_now(struct pl_engine *e, uint32_t index, bool overdue)
{
	struct lane *lane = &e->lanes[index];
	struct session *s = pl_best_holder(e, index);

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
	lane->fetch_seen = lane->have_seq;
	lane->fetch_queued = 0;
	lane->fetch_since_ms = lane->fetch_progress_ms = e->now_ms;
	lane->fetch_deadline_ms = e->now_ms + PL_WANT_MS_MAX;
	lane->others_at_ms = 0;
	lane->others_round = 0;
	pl_turn_begin(e, index, lane->fetch_session);
	pl_lane_timer(e, lane->fetch_deadline_ms);
	/* PROTOCOL: "Where nobody pushes what HAVE or ACK has announced, those that should are silent, and so may be others: in lanes 0 and 1 four that
	 * have it are asked, the first after the 60 ms, the others with it or as soon as they announce it." */
	lane->others_at_once = overdue && has_others(index) ? PL_OTHERS_AT_ONCE : 0;
	others_at_once(e, index);
	others_arm(e, index, PL_OTHERS_MS);
}

void pl_lane_pump(struct pl_engine *e, uint32_t index, uint64_t delay_ms)
{
	const uint16_t node = (uint16_t)(index / PL_LANES);
	const uint8_t number = (uint8_t)(index % PL_LANES);
	struct lane *lane = &e->lanes[index];

	if (lane->fetch_session != PL_NONE16) {
		/* Who has left us waiting before, and sends nothing now, gives way to another as soon as there is one. */
		const struct session *asked = &e->sessions[lane->fetch_session];
		if (*pl_unanswered(e, asked, index) == 0 || asked->answered_ms >= lane->fetch_since_ms || pl_best_holder(e, index) == asked) {
			others_at_once(e, index);
			others_arm(e, index, PL_OTHERS_MS);
			return;
		}
		pl_fetch_cancel(e, index);
	}
	const struct session *holder = lane->frozen ? NULL : pl_best_holder(e, index);
	if (!holder)
		return;
	if (!pl_has_room(e, node, number)) {
		pl_share_note(e, holder, node, number); /* after a restart nothing else would bring it to light: what is not asked for does not come */
		return;
	}
	if (lane->quota_until_ms > e->now_ms)
		return; /* its timer stands */
	if (delay_ms == 0) {
		fetch_now(e, index, false);
	} else if (lane->want_at_ms == 0) {
		lane->want_at_ms = e->now_ms + delay_ms;
		pl_lane_timer(e, lane->want_at_ms);
	}
}

static bool is_answer(const struct pl_engine *e, const struct session *s, uint32_t index, uint64_t seq)
{
	const struct lane *lane = &e->lanes[index];

	return lane->fetch_session == s - e->sessions && seq > lane->fetch_seen && seq <= lane->fetch_to;
}

/* Its own feed it can lengthen as it likes: that is no answer to anything else. */
static bool answers_others(const struct pl_engine *e, const struct session *s, uint32_t index)
{
	return e->charter->nodes[index / PL_LANES].member != e->charter->nodes[s->peer].member;
}

static void answer_came(struct pl_engine *e, uint32_t index, uint64_t at_ms)
{
	struct lane *lane = &e->lanes[index];

	lane->fetch_progress_ms = at_ms;
	if (at_ms + PL_WANT_MS_MAX > lane->fetch_deadline_ms)
		lane->fetch_deadline_ms = at_ms + PL_WANT_MS_MAX;
}

/* PROTOCOL: "A piece counts for as long as it takes at 256 B/s." When the last answer came, with that: else a byte now and then would do. */
static uint64_t piece_counts(const struct pl_engine *e, uint64_t last_ms, uint32_t bytes)
{
	const uint64_t from_ms = last_ms + PL_WANT_MS_MAX > e->now_ms ? last_ms : e->now_ms - PL_WANT_MS_MAX;
	const uint64_t to_ms = from_ms + (uint64_t)bytes * 1000 / PL_MIN_RATE_BYTES_PER_S;

	return to_ms < e->now_ms ? to_ms : e->now_ms;
}

void pl_fetch_piece(struct pl_engine *e, struct session *s, uint16_t node, uint8_t lane_number, uint64_t seq, uint32_t bytes)
{
	const uint32_t index = pl_lane_index(node, lane_number);

	if (!is_answer(e, s, index, seq))
		return;
	answer_came(e, index, piece_counts(e, e->lanes[index].fetch_progress_ms, bytes));
	if (answers_others(e, s, index))
		s->answered_ms = piece_counts(e, s->answered_ms, bytes);
}

void pl_fetch_answer(struct pl_engine *e, struct session *s, uint16_t node, uint8_t lane_number, uint64_t seq)
{
	const uint32_t index = pl_lane_index(node, lane_number);
	struct lane *lane = &e->lanes[index];

	if (!is_answer(e, s, index, seq))
		return;
	if (seq > lane->have_seq) {
		lane->fetch_queued = 0; /* it was not taken: what comes behind it does not follow */
		return;
	}
	lane->fetch_seen = seq;
	answer_came(e, index, e->now_ms);
	if (answers_others(e, s, index))
		s->answered_ms = e->now_ms;
}

void pl_lane_progress(struct pl_engine *e, struct session *s, uint32_t index)
{
	struct lane *lane = &e->lanes[index];
	const uint16_t from = (uint16_t)(s - e->sessions);

	if (lane->fetch_session == PL_NONE16) {
		if (lane->want_at_ms != 0 && lane->quota_until_ms == 0 && !pl_best_holder(e, index)) {
			lane->want_at_ms = 0; /* the eager copy came in time */
			pl_turns_done(lane);
		}
		return;
	}
	if (lane->fetch_session != from && s->asked_to[index] != 0)
		fetch_taken_over(e, s, index);
	pl_fetch_answer(e, s, (uint16_t)(index / PL_LANES), (uint8_t)(index % PL_LANES), lane->have_seq);
	for (uint16_t i = 0; i < e->sessions_ever && has_others(index); i++) {
		struct session *other = &e->sessions[i];
		if (other->used && other->asked_to[index] != 0 && other->asked_to[index] <= lane->have_seq) {
			other_done(other, index);
			others_arm(e, index, PL_OTHERS_MS);
		}
	}
	pl_lane_timer(e, lane->fetch_deadline_ms);
	if (lane->have_seq < lane->fetch_to)
		return;
	if (lane->fetch_session == from && *pl_unanswered(e, s, index) > 0)
		--*pl_unanswered(e, s, index);
	if (lane->fetch_session == from)
		pl_neighbour_brought(e, s, index);
	fetch_end(e, index);
	if (pl_best_holder(e, index)) {
		pl_lane_pump(e, index, PL_HAVE_DELAY_MS);
		return;
	}
	pl_turns_done(lane);
	pl_note_entry(e, PL_NOTE_CAUGHT_UP, NULL, (uint16_t)(index / PL_LANES), (uint8_t)(index % PL_LANES), lane->have_seq, "");
}

void pl_fetch_cancel(struct pl_engine *e, uint32_t index)
{
	if (e->lanes[index].fetch_session != PL_NONE16)
		cancel_send(&e->sessions[e->lanes[index].fetch_session], index);
	fetch_end(e, index);
}

void pl_fetch_refused(struct pl_engine *e, struct session *s, uint32_t index)
{
	if (e->lanes[index].fetch_session == s - e->sessions)
		pl_fetch_cancel(e, index);
	else
		other_done(s, index);
}

void pl_fetch_session_gone(struct pl_engine *e, uint16_t session_index)
{
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		pl_turn_forget(e, index, session_index);
		if (e->lanes[index].fetch_session == session_index) {
			fetch_end(e, index);
			pl_lane_pump(e, index, 0);
		}
	}
}

/* Asks the next. silent: nothing has come for 3 s; else the turn of who was asked is over. */
static void fetch_goes_on(struct pl_engine *e, uint32_t index, bool silent)
{
	struct lane *lane = &e->lanes[index];
	const uint16_t asked = lane->fetch_session;
	struct session *s = &e->sessions[asked];
	const bool other = pl_best_holder_but(e, index, asked) != NULL;

	e->counters.wants_timed_out++;
	/* PROTOCOL: "Who has brought something of the lane in that time has left nothing unanswered." */
	silent |= lane->fetch_progress_ms <= lane->fetch_since_ms && lane->turn_ms == 0;
	if (silent)
		pl_strike(e, s, index);
	pl_fetch_cancel(e, index);
	pl_turn_end(e, index, asked);
	/* While there is another, that one is asked first; what it says need not be forgotten at once. */
	if (silent && (!other || *pl_unanswered(e, s, index) >= PL_UNANSWERED_MAX))
		pl_announced(e, s, index, 0); /* until it says so again */
	if (!pl_another_would_answer(e, s, index))
		pl_neighbours_withhold(e);
	pl_lane_pump(e, index, 0);
}

void pl_fetch_queued(struct pl_engine *e, const struct session *s, const struct pl_wire *wire)
{
	if (wire->node >= e->nodes || wire->form != PL_WIRE_FORM_NEXT)
		return;
	struct lane *lane = &e->lanes[pl_lane_index(wire->node, wire->header.lane)];
	const uint64_t up_to = lane->fetch_queued > lane->have_seq ? lane->fetch_queued : lane->have_seq;
	if (lane->fetch_session == s - e->sessions && wire->header.seq == up_to + 1)
		lane->fetch_queued = wire->header.seq;
}

/* What is asked for may stand behind other things that we have asked of the same peer, and what has come may wait here: neither is its fault.
 * Looked into when the time is over, not before: there may be thousands of lanes. */
static bool fetch_is_overdue(struct pl_engine *e, uint32_t index)
{
	struct lane *lane = &e->lanes[index];
	const struct session *s = &e->sessions[lane->fetch_session];

	if (e->now_ms < lane->fetch_deadline_ms)
		return false;
	const bool other = pl_best_holder_but(e, index, lane->fetch_session) != NULL;
	/* Where nobody else has it, anything that it sends on request is a sign that it is at work. */
	uint64_t sign_ms = other ? s->answered_ms : s->caught_ms;
	if (sign_ms < e->storing_full_ms)
		sign_ms = e->storing_full_ms;
	if (e->storing_bytes >= PL_STORING_BYTES_MAX || (other ? lane->fetch_queued > lane->have_seq : s->in_at < s->in_count))
		sign_ms = e->now_ms;
	if (sign_ms + PL_WANT_MS_MAX > lane->fetch_deadline_ms)
		lane->fetch_deadline_ms = sign_ms + PL_WANT_MS_MAX;
	return e->now_ms >= lane->fetch_deadline_ms;
}

/* PROTOCOL: "If what was asked for does not come for 3 s it sends CANCEL, and asks the next; so also if the lane is not there after 30 s and
 * another has it." */
static void fetch_check(struct pl_engine *e, uint32_t index)
{
	struct lane *lane = &e->lanes[index];
	const bool silent = fetch_is_overdue(e, index);

	if (silent || pl_turn_is_over(e, index)) {
		fetch_goes_on(e, index, silent);
		return;
	}
	pl_lane_timer(e, lane->fetch_deadline_ms);
	pl_lane_timer(e, lane->turn_at_ms);
	if (lane->others_at_ms != 0 && e->now_ms >= lane->others_at_ms)
		others_ask(e, index);
	else if (lane->others_at_ms != 0)
		pl_lane_timer(e, lane->others_at_ms);
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
				fetch_now(e, index, true);
			else
				pl_lane_timer(e, lane->want_at_ms);
		}
	}
}
