/* Whom to ask for what a lane lacks: who has it, who has left what it was asked for unanswered, and for how long one is asked before the others are.
 * PROTOCOL.md, "HAVE and WANT". */
#include <assert.h>

#include "proto/parts.h"

uint8_t *pl_unanswered(const struct pl_engine *e, const struct session *s, uint32_t index)
{
	return &e->unanswered[s->peer * e->lanes_count + index];
}

void pl_strike(const struct pl_engine *e, const struct session *s, uint32_t index)
{
	uint8_t *count = pl_unanswered(e, s, index);

	if (*count < UINT8_MAX)
		++*count;
}

bool pl_is_holder(const struct pl_engine *e, const struct session *s, uint32_t index)
{
	return s->used && s->state == PL_SESSION_LIVE && s->peer_has[index] > e->lanes[index].have_seq &&
	       !pl_is_shunned(e, s, (uint16_t)(index / PL_LANES), (uint8_t)(index % PL_LANES));
}

static_assert(PL_LINKS_MAX <= 64, "a bit for each session");
static uint64_t turn_bit(uint16_t session)
{
	return (uint64_t)1 << session;
}

/* Who has not had its turn; of equals, who has left the fewest WANTs for this lane unanswered; of equals, who answers fastest. Who claims to have
 * more is not better for it: that costs nothing. */
static bool is_better(const struct pl_engine *e, uint16_t a, uint16_t b, uint32_t index)
{
	const uint64_t had = e->lanes[index].had_turn;
	const bool had_a = (had & turn_bit(a)) != 0, had_b = (had & turn_bit(b)) != 0;
	const uint8_t of_a = *pl_unanswered(e, &e->sessions[a], index), of_b = *pl_unanswered(e, &e->sessions[b], index);

	if (had_a != had_b)
		return had_b;
	return of_a < of_b || (of_a == of_b && e->sessions[a].rtt_ms < e->sessions[b].rtt_ms);
}

/* Nobody can have what we lack of it, and no session need be looked at: they lie far apart. */
static bool nobody_names_more(const struct pl_engine *e, uint32_t index)
{
	return e->lanes[index].named_seq <= e->lanes[index].have_seq;
}

struct session *pl_best_holder_but(struct pl_engine *e, uint32_t index, uint16_t but)
{
	uint16_t best = PL_NONE16;

	if (nobody_names_more(e, index))
		return NULL;
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (i != but && pl_is_holder(e, &e->sessions[i], index) && (best == PL_NONE16 || is_better(e, i, best, index)))
			best = i;
	}
	return best == PL_NONE16 ? NULL : &e->sessions[best];
}

struct session *pl_best_holder(struct pl_engine *e, uint32_t index)
{
	return pl_best_holder_but(e, index, PL_NONE16);
}

bool pl_another_would_answer(const struct pl_engine *e, const struct session *but, uint32_t index)
{
	if (nobody_names_more(e, index))
		return false;
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		const struct session *s = &e->sessions[i];
		if (s != but && pl_is_holder(e, s, index) && *pl_unanswered(e, s, index) == 0)
			return true;
	}
	return false;
}

/* --- turns: nobody holds a lane up for good that another has too --- */

void pl_turn_begin(struct pl_engine *e, uint32_t index, uint16_t session)
{
	struct lane *lane = &e->lanes[index];

	if (lane->turn_session != session)
		lane->turn_ms = 0;
	lane->turn_session = session;
	lane->had_turn &= ~turn_bit(session);
	lane->turn_at_ms = e->now_ms + (lane->turn_ms < PL_HOLD_MS ? PL_HOLD_MS - lane->turn_ms : 0);
	pl_lane_timer(e, lane->turn_at_ms);
}

/* When all that have the lane have had a turn, all may have another. */
void pl_turn_end(struct pl_engine *e, uint32_t index, uint16_t session)
{
	struct lane *lane = &e->lanes[index];

	lane->turn_session = PL_NONE16;
	lane->had_turn |= turn_bit(session);
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (pl_is_holder(e, &e->sessions[i], index) && !(lane->had_turn & turn_bit(i)))
			return;
	}
	lane->had_turn = turn_bit(session);
}

/* PROTOCOL: "The 30 s are longer by 30 s for each WANT that the other has left unanswered more often, for eight at most." What others only claim to
 * have costs so much less of the time in which it could come. */
bool pl_turn_is_over(struct pl_engine *e, uint32_t index)
{
	struct lane *lane = &e->lanes[index];

	if (e->now_ms < lane->turn_at_ms)
		return false;
	const struct session *next = pl_best_holder_but(e, index, lane->fetch_session);
	lane->turn_at_ms = e->now_ms + PL_WANT_MS_MAX; /* it is looked into again */
	if (!next)
		return false;
	const uint8_t of_next = *pl_unanswered(e, next, index), of_asked = *pl_unanswered(e, &e->sessions[lane->fetch_session], index);
	const uint64_t more = of_next > of_asked ? of_next - of_asked : 0;
	const uint64_t turn_ms = PL_HOLD_MS * (1 + (more < PL_TURN_MORE_MAX ? more : PL_TURN_MORE_MAX));
	return lane->turn_ms + (e->now_ms - lane->fetch_since_ms) >= turn_ms;
}

void pl_turn_forget(struct pl_engine *e, uint32_t index, uint16_t session)
{
	struct lane *lane = &e->lanes[index];

	lane->had_turn &= ~turn_bit(session);
	if (lane->turn_session == session)
		lane->turn_session = PL_NONE16;
}

void pl_turns_done(struct lane *lane)
{
	lane->had_turn = 0;
	lane->turn_session = PL_NONE16;
}
