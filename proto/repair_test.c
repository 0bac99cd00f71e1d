/* What the disk changes. Each test is a story in a small world (tests/world.h): who is linked to whom, what happens, what must hold after so many
 * ms. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/hostile.h"

/* CHE and FIN hold five entries of FIN in each lane, SGP has not been there. */
static struct world *while_sgp_was_away(void)
{
	struct world *w = chain();

	world_cut(w, SGP, CHE);
	for (int i = 0; i < 5 * PL_LANES; i++)
		cr_assert_eq(world_submit(w, FIN, (uint8_t)(i % PL_LANES), i % PL_LANES == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	world_run_ms(w, 100);
	cr_assert_eq(world_durable(w, CHE, FIN, 2), 5);
	return w;
}

static bool all_five_at_sgp(struct world *w)
{
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		for (uint64_t seq = 1; seq <= 5; seq++) {
			if (!world_same_entry(w, FIN, SGP, FIN, lane, seq))
				return false;
		}
	}
	return true;
}

Test(repair, an_entry_that_the_disk_has_changed_comes_back_from_a_peer_and_goes_on)
{
	static const uint64_t places[] = { 1, 3, 5 }; /* the head too */

	for (size_t i = 0; i < 3; i++) {
		struct world *w = while_sgp_was_away();
		struct pl_engine_counters counters;
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			world_rot(w, CHE, FIN, lane, places[i]);
		world_heal(w, SGP, CHE);
		world_run_ms(w, 2000);
		cr_assert_eq(world_repairs(w, CHE), PL_LANES);
		cr_assert(all_five_at_sgp(w));
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			cr_assert(world_same_entry(w, FIN, CHE, FIN, lane, places[i]));
		pl_engine_counters(world_engine(w, SGP), &counters);
		cr_assert_eq(counters.wants_timed_out, 0, "SGP was not kept waiting");
		cr_assert_eq(counters.duplicates, 0);
		/* and new ones are pushed as before */
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
		world_run_ms(w, 20);
		cr_assert_eq(world_durable(w, SGP, FIN, 1), 6);
		world_free(w);
	}
}

Test(repair, own_entries_that_the_disk_has_changed_come_back_too)
{
	struct world *w = while_sgp_was_away();

	for (uint64_t seq = 2; seq <= 4; seq++)
		world_rot(w, FIN, FIN, 1, seq);
	world_link(w, SGP, FIN);
	world_run_ms(w, 4000); /* SGP asks FIN alone, which asks CHE */
	cr_assert_eq(world_repairs(w, FIN), 3);
	cr_assert(world_same_entry(w, FIN, CHE, FIN, 1, 3));
	cr_assert(all_five_at_sgp(w));
	cr_assert_eq(world_notes(w, FIN, PL_NOTE_SELF_BEHIND), 0);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	world_free(w);
}

Test(repair, what_nobody_has_does_not_keep_back_what_somebody_has)
{
	struct world *w = while_sgp_was_away();

	world_rot(w, FIN, FIN, 1, 2);
	for (uint64_t seq = 2; seq <= 4; seq++)
		world_rot(w, CHE, FIN, 1, seq);
	world_find_rot(w, CHE, FIN, 1);
	world_run_ms(w, PL_WANT_MS_MAX + 100);
	cr_assert_eq(world_repairs(w, CHE), 2);
	cr_assert(world_same_entry(w, FIN, CHE, FIN, 1, 3) && world_same_entry(w, FIN, CHE, FIN, 1, 4));
	world_free(w);
}

Test(repair, what_is_found_damaged_while_it_is_being_put_right_is_not_asked_for_once_more)
{
	struct world *w = while_sgp_was_away();
	struct pl_engine_counters before, after;

	world_latency(w, 1, 500);
	world_rot(w, CHE, FIN, 1, 2);
	world_find_rot(w, CHE, FIN, 1);
	world_run_ms(w, 100);
	world_cut(w, FIN, CHE);
	world_find_rot(w, CHE, FIN, 1);
	cr_assert_eq(world_repairs(w, CHE), 0);
	world_run_ms(w, 1000);
	cr_assert_eq(world_repairs(w, CHE), 1);
	pl_engine_counters(world_engine(w, CHE), &before);
	world_heal(w, FIN, CHE);
	world_run_ms(w, 60000);
	pl_engine_counters(world_engine(w, CHE), &after);
	cr_assert_eq(after.wants_sent, before.wants_sent);
	world_free(w);
}

Test(repair, what_is_changed_everywhere_is_asked_for_twice_a_minute_until_somebody_has_it)
{
	struct world *w = while_sgp_was_away();
	struct pl_engine_counters before, after;

	/* a node that has it all, and is away */
	world_heal(w, SGP, CHE);
	world_run_ms(w, 2000);
	cr_assert(all_five_at_sgp(w));
	world_cut(w, SGP, CHE);
	for (uint64_t seq = 2; seq <= 4; seq++) {
		world_rot(w, FIN, FIN, 1, seq);
		world_rot(w, CHE, FIN, 1, seq);
	}
	/* CHE finds out when it is asked, and so do those that it asks */
	world_find_rot(w, CHE, FIN, 1);
	pl_engine_counters(world_engine(w, CHE), &before);
	const uint32_t lost = world_notes(w, CHE, PL_NOTE_LINK_LOST);
	world_run_ms(w, 600000);
	pl_engine_counters(world_engine(w, CHE), &after);
	cr_assert_eq(world_repairs(w, CHE) + world_repairs(w, FIN), 0);
	/* three places, each half a minute */
	cr_assert(after.wants_sent - before.wants_sent > 30 && after.wants_sent - before.wants_sent <= 60, "%d", (int)(after.wants_sent - before.wants_sent));
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_LINK_LOST), lost, "nobody is blamed");
	world_heal(w, SGP, CHE);
	world_run_ms(w, PL_BACKOFF_HELD_MS_MAX + 4 * PL_WANT_MS_MAX);
	cr_assert_eq(world_repairs(w, CHE), 3);
	world_run_ms(w, 60000);
	cr_assert_eq(world_repairs(w, FIN), 3);
	for (uint64_t seq = 2; seq <= 4; seq++)
		cr_assert(world_same_entry(w, FIN, SGP, FIN, 1, seq) && world_same_entry(w, CHE, SGP, FIN, 1, seq));
	world_free(w);
}

/* --- hostile members --- */

Test(repair, what_stands_in_for_a_damaged_entry_has_to_be_that_entry)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE }, again = { .node = EVE };
	const struct made first = author_next(w, &author, 1, 0, 20), second = author_next(w, &author, 1, 0, 20);
	struct made other = author_next(w, &again, 1, 0, 30), turned = first;
	struct pl_want want;

	member_entry(eve, &first, 0);
	member_entry(eve, &second, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	world_cut(w, FIN, CHE); /* who could give it too */
	world_cut(w, SGP, CHE);
	world_rot(w, CHE, EVE, 1, 1);
	world_find_rot(w, CHE, EVE, 1);
	member_run_ms(eve, 20);
	cr_assert(member_asked(eve, EVE, 1, &want));
	cr_assert(want.from == 1 && want.to == 1 && want.flags == PL_WANT_FULL);
	/* one whose body is another: it has another id; not signed */
	turned.body = world_room(w, turned.body_bytes);
	memset(turned.body, 7, turned.body_bytes);
	member_entry_full(eve, &turned);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(world_repairs(w, CHE), 0);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_ENTRY_REFUSED), 1);
	/* nothing for three seconds, and nobody else: it is asked again after half a minute. Then another that EVE has signed for that place */
	member_forget(eve);
	member_run_ms(eve, 40000);
	cr_assert(member_asked(eve, EVE, 1, &want));
	member_entry_full(eve, &other);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(world_repairs(w, CHE), 0);
	/* the one: it is taken, and once */
	member_forget(eve);
	member_run_ms(eve, 40000);
	cr_assert(member_asked(eve, EVE, 1, &want));
	member_entry_full(eve, &first);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(world_repairs(w, CHE), 1);
	member_forget(eve);
	member_run_ms(eve, 60000);
	cr_assert_not(member_asked(eve, EVE, 1, &want));
	cr_assert(member_is_open(eve));
	member_free(eve);
	world_free(w);
}

Test(repair, who_does_not_hold_a_lane_is_not_asked_for_what_is_damaged_in_it)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct pl_lane_info first, second;
	struct pl_want want;

	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	member_run_ms(eve, 50);
	pl_engine_lane(world_engine(w, CHE), FIN, 1, &first);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	member_run_ms(eve, 50);
	pl_engine_lane(world_engine(w, CHE), FIN, 1, &second);
	world_cut(w, FIN, CHE);
	world_cut(w, SGP, CHE);
	world_rot(w, CHE, FIN, 1, 2);
	world_find_rot(w, CHE, FIN, 1);
	member_item(eve, PL_FRAME_ACK, 0, FIN, 1, 1, first.head_id);
	member_flush(eve);
	member_run_ms(eve, 40000);
	cr_assert_not(member_asked(eve, FIN, 1, &want));
	member_item(eve, PL_FRAME_ACK, 0, FIN, 1, 2, second.head_id);
	member_flush(eve);
	member_run_ms(eve, 40000);
	cr_assert(member_asked(eve, FIN, 1, &want) && want.from == 2 && want.flags == PL_WANT_FULL);
	member_free(eve);
	world_free(w);
}
