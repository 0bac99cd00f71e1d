/* What the stories of hostile members share (proto/hostile_*_test.c): EVE has the right keys and is played by the test
 * (tests/member.h); FIN, CHE and SGP are nodes (tests/world.h). */
#ifndef PL_TESTS_HOSTILE_H
#define PL_TESTS_HOSTILE_H

#include <criterion/criterion.h>
#include <string.h>

#include "crypto/bytes.h"
#include "tests/member.h"
#include "tests/story.h"

/* FIN - CHE, SGP - CHE; whom EVE dials is up to the test. */
static inline struct world *network(void)
{
	struct world *w = world_new(4, 1);

	world_play(w, EVE);
	world_link(w, FIN, CHE);
	world_link(w, SGP, CHE);
	world_start(w);
	world_run_ms(w, 100);
	return w;
}

static inline struct member *live(struct world *w, uint16_t node)
{
	struct member *eve = member_dial(w, EVE, node);

	cr_assert_not_null(eve);
	member_go_live(eve);
	cr_assert(member_is_open(eve));
	member_forget(eve);
	return eve;
}

/* A fresh connection, the handshake done. */
static inline struct member *greet(struct world *w, uint16_t node)
{
	struct member *eve = member_dial(w, EVE, node);

	cr_assert_not_null(eve);
	world_run_ms(w, 5); /* the node's HELLO is out, or there would be no room for a BYE */
	return eve;
}

/* What was collected goes out; the node is to end the link for it, with the given reason. */
static inline void check_ended(struct world *w, struct member *eve, uint8_t reason, const char *what)
{
	member_flush(eve);
	member_run_ms(eve, 10);
	cr_assert_not(member_is_open(eve), "%s: the link stands", what);
	cr_assert_eq(member_bye(eve), reason, "%s: BYE %u", what, member_bye(eve));
	member_free(eve);
	world_run_ms(w, 1);
}

/* --- feeds --- */

static inline bool is_frozen(struct world *w, uint16_t at, uint16_t node, uint8_t lane)
{
	struct pl_lane_info info;

	pl_engine_lane(world_engine(w, at), node, lane, &info);
	return info.frozen;
}

static inline uint64_t counted_duplicates(struct world *w, uint16_t node)
{
	struct pl_engine_counters counters;

	pl_engine_counters(world_engine(w, node), &counters);
	return counters.duplicates;
}

/* An entry whose signature has a bit turned. */
static inline struct made spoilt(struct made made)
{
	made.entry_header[PL_HEADER_BYTES + 40] ^= 4;
	return made;
}

static inline uint64_t seq_of(const struct made *made) { return pl_get64(made->entry_header + 16); }

/* Says that it holds a lane up to an entry, and waits to be asked for it. */
static inline void announce(struct member *eve, const struct made *head)
{
	member_forget(eve);
	member_item(eve, PL_FRAME_HAVE, 0, head->node, head->lane, seq_of(head), head->id);
	member_flush(eve);
	member_run_ms(eve, PL_HAVE_DELAY_MS + 5);
}

static inline void check_asked(struct member *eve, const struct made *head, uint64_t from)
{
	struct pl_want want;

	cr_assert(member_asked(eve, head->node, head->lane, &want));
	cr_assert_eq(want.flags, 0);
	cr_assert_eq(want.from, from);
	cr_assert_eq(want.to, seq_of(head));
}

static inline void answer(struct member *eve, const struct made *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		member_entry(eve, &entries[i], PL_FRAME_CATCHUP);
	member_flush(eve);
	member_run_ms(eve, 20);
}

/* The next entry of a feed with a signature that is none, and the author goes on from it. */
static inline struct made next_spoilt(struct world *w, struct author *author, uint8_t lane)
{
	struct made made = spoilt(author_next(w, author, lane, 0, 20));

	pl_entry_id(world_charter(w)->network_id, made.entry_header, made.id);
	memcpy(author->lanes[lane].id, made.id, PL_ID_BYTES);
	return made;
}

#endif
