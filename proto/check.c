/* Signatures of bulk are checked outside the engine, many at a time, so that whoever drives it can do that beside its loop and with less
 * priority than a FLASH has. A verdict is remembered under the id of its entry, which covers header, signature and network: whatever the
 * queue or the lane have become meanwhile, it can be used for that entry and for no other. What has no verdict is verified at its turn. The hash of
 * its body, which the id takes, is computed once: it is remembered with the place where the body waits.
 */
#include <assert.h>
#include <string.h>

#include "proto/parts.h"

void pl_check_release(struct pl_engine *e, struct session *s)
{
	if (s->check != PL_NONE16) {
		e->checks[s->check].used = false; /* an answer that still comes has no use */
	}
	s->check = PL_NONE16;
	s->in_checked = 0;
}

static uint16_t check_free(const struct pl_engine *e)
{
	for (uint16_t i = 0; i < PL_CHECKS; i++) {
		if (!e->checks[i].used)
			return i;
	}
	return PL_NONE16;
}

bool pl_check_may_go(const struct pl_engine *e, const struct session *s)
{
	if (s->check != PL_NONE16)
		return e->checks[s->check].token == 0;
	return s->in_checked > 0 || check_free(e) != PL_NONE16;
}

/* Whether this entry will be verified by itself and is the next of its lane, after those of the batch; then c is what it will be. */
static bool is_next(const struct pl_engine *e, const struct session *s, const struct check *check, const struct pl_wire *wire, uint8_t flags,
                    struct candidate *c)
{
	if (wire->node >= e->nodes || wire->form != PL_WIRE_FORM_NEXT || pl_is_of_run(e, s, wire, flags))
		return false;
	const uint32_t index = pl_lane_index(wire->node, wire->header.lane);
	const struct lane *lane = &e->lanes[index];
	if (lane->frozen || pl_is_shunned(e, s, wire->node, wire->header.lane))
		return false;
	uint64_t seq = lane->have_seq;
	const uint8_t *id = lane->have_id;
	for (uint16_t i = check->count; i-- > 0;) {
		if (check->lanes[i] == index) {
			seq = check->seqs[i];
			id = check->ids[i];
			break;
		}
	}
	if (wire->header.seq != seq + 1 || memcmp(wire->header.prev, id, PL_ID_BYTES) != 0)
		return false;
	pl_candidate(e, wire, c);
	return true;
}

bool pl_check_ahead(struct pl_engine *e, struct session *s)
{
	if (s->in_checked > 0)
		return false;
	pl_check_release(e, s);
	const uint16_t place = check_free(e);
	if (place == PL_NONE16)
		return true;
	struct check *check = &e->checks[place];
	struct candidate c;
	struct pl_wire wire;
	uint32_t cost;
	uint8_t flags;

	check->count = 0;
	for (int i = 0; i < PL_CHECK_ENTRIES && pl_in_queue_peek(e, s, s->in_at + s->in_checked, &wire, &flags, &cost); i++) {
		uint8_t *item = s->in + s->in_at + s->in_checked;
		s->in_checked += cost;
		if (!is_next(e, s, check, &wire, flags, &c))
			continue;
		if (check->count == 0)
			check->token = check->serial = pl_load_token(e);
		item[PL_IN_KNOWN_AT] = (uint8_t)(check->count + 1);
		pl_put32(item + PL_IN_SERIAL_AT, check->serial);
		check->lanes[check->count] = pl_lane_index(c.node, c.header.lane);
		check->seqs[check->count] = c.header.seq;
		memcpy(check->ids[check->count], c.id, PL_ID_BYTES);
		memcpy(check->headers[check->count], c.entry_header, PL_ENTRY_HEADER_BYTES);
		check->count++;
	}
	if (check->count == 0)
		return false;
	check->used = true;
	check->session = (uint16_t)(s - e->sessions);
	s->check = place;
	struct pl_effect *fx = &pl_effect_add(e, PL_FX_VERIFY)->effect;
	fx->verify.token = check->token;
	fx->verify.count = check->count;
	fx->verify.headers = check->headers[0];
	return true;
}

/* The mark lies before the entry, moves with it, and is void without this very check: so the hash is of the bytes that it stands for, which nobody
 * has changed since they were queued. */
const uint8_t *pl_check_body_hash(const struct pl_engine *e, const struct session *s, uint32_t at)
{
	const uint8_t *item = s->in + at;
	const uint8_t number = item[PL_IN_KNOWN_AT];

	if (number == 0 || s->check == PL_NONE16)
		return NULL;
	const struct check *check = &e->checks[s->check];
	return pl_get32(item + PL_IN_SERIAL_AT) == check->serial ? pl_header_body_hash(check->headers[number - 1]) : NULL;
}

void pl_check_done(struct pl_engine *e, uint32_t token, uint32_t good)
{
	for (uint16_t i = 0; i < PL_CHECKS; i++) {
		struct check *check = &e->checks[i];
		if (!check->used || check->token != token)
			continue;
		check->token = 0;
		check->good = good;
		e->counters.signatures_verified += check->count;
	}
}

bool pl_check_verdict(const struct pl_engine *e, const struct session *s, const uint8_t id[PL_ID_BYTES], bool *good)
{
	if (s->check == PL_NONE16 || e->checks[s->check].token != 0)
		return false;
	const struct check *check = &e->checks[s->check];
	for (uint16_t i = 0; i < check->count; i++) {
		if (memcmp(check->ids[i], id, PL_ID_BYTES) == 0) {
			*good = check->good >> i & 1;
			return true;
		}
	}
	return false;
}
