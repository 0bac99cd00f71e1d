/* Whom to ask for what a lane lacks: who has it, and who has left what it was asked for unanswered. PROTOCOL.md, "HAVE and WANT". */
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

/* Who has left the fewest WANTs for this lane unanswered; of equals, who answers fastest. Who claims to have more is not better for it: that
 * costs nothing. */
static bool is_better(const struct pl_engine *e, const struct session *a, const struct session *b, uint32_t index)
{
	const uint8_t of_a = *pl_unanswered(e, a, index), of_b = *pl_unanswered(e, b, index);

	return of_a < of_b || (of_a == of_b && a->rtt_ms < b->rtt_ms);
}

struct session *pl_best_holder(struct pl_engine *e, uint32_t index)
{
	struct session *best = NULL;

	for (uint16_t i = 0; i < e->sessions_max; i++) {
		struct session *s = &e->sessions[i];
		if (pl_is_holder(e, s, index) && (!best || is_better(e, s, best, index)))
			best = s;
	}
	return best;
}
