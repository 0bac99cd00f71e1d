/* A node whose store takes nothing, and which is the only way: FIN - CHE - SGP. It sends FLASH entries on, and no member can have it lose one. */
#include "tests/hostile.h"

enum { FLASHES = 70 };

/* FIN has said many; EVE has kept them, and plays them again. Returns whether SGP was given the next one. */
static bool next_arrives(bool attack)
{
	struct world *w = network();
	struct author fin = { .node = FIN };
	static struct made made[FLASHES];

	world_store_fails(w, CHE, true);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK); /* by which it is noticed */
	world_run_ms(w, 50);
	struct member *eve = live(w, CHE);
	world_cut(w, SGP, CHE);
	world_cut(w, FIN, CHE);
	world_run_ms(w, 50);
	for (int i = 0; i < FLASHES; i++) { /* within what FIN may say */
		made[i] = author_next(w, &fin, 0, PL_FLAG_FLASH, 20);
		if (i < FLASHES - 1) {
			member_entry(eve, &made[i], PL_FRAME_FLASH);
			member_flush(eve);
			member_run_ms(eve, 6100);
		}
	}
	member_run_ms(eve, 130000); /* quotas are full again */
	for (int i = 0; attack && i < FLASHES - 1; i++) {
		member_entry(eve, &made[i], PL_FRAME_FLASH);
		member_flush(eve);
		member_run_ms(eve, 10);
	}
	struct pl_engine_counters before, after;
	pl_engine_counters(world_engine(w, CHE), &before);
	member_entry(eve, &made[FLASHES - 1], PL_FRAME_FLASH);
	member_flush(eve);
	member_run_ms(eve, 100);
	pl_engine_counters(world_engine(w, CHE), &after);
	member_free(eve);
	world_free(w);
	return after.flash_forwarded == before.flash_forwarded + 1;
}

Test(relay, what_is_played_again_is_not_counted_against_its_author)
{
	cr_assert(next_arrives(false));
	cr_assert(next_arrives(true));
}

Test(relay, a_flash_is_given_to_a_peer_that_was_down_at_the_moment)
{
	struct world *w = network();

	world_store_fails(w, CHE, true);
	world_cut(w, SGP, CHE);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK); /* by which it is noticed */
	world_run_ms(w, 50);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "x", 1), PL_OK);
	world_run_ms(w, 500);
	cr_assert_eq(world_durable(w, CHE, FIN, 0), 0);
	world_heal(w, SGP, CHE);
	for (int ms = 0; ms < 20000 && world_durable(w, SGP, FIN, 0) == 0; ms += 10)
		world_run_ms(w, 10);
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 1);
	world_free(w);
}
