/* What the stories of hostile members share (proto/hostile_test.c, proto/hostile_feed_test.c): EVE has the right keys and is played by the test
 * (tests/member.h); FIN, CHE and SGP are nodes (tests/world.h). */
#ifndef PL_TESTS_HOSTILE_H
#define PL_TESTS_HOSTILE_H

#include <criterion/criterion.h>

#include "tests/member.h"

enum { FIN, CHE, SGP, EVE };

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

#endif
