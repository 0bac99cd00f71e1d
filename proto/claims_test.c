/* What an entry claims and nobody can check when it comes: its time, the heads of other lanes. It is pointed out to people, and changes nothing. */
#include "tests/hostile.h"

Test(claims, a_time_that_is_off_is_pointed_out_and_changes_nothing)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	static const int64_t ahead[] = { 0, PL_CLOCK_SKEW_FLAG_MS, -PL_CLOCK_SKEW_FLAG_MS + 1000, PL_CLOCK_SKEW_FLAG_MS + 100, -3600000 };
	struct pl_header h = { .lane = 1, .kind = PL_KIND_MESSAGE, .generation = 1 };

	for (size_t i = 0; i < sizeof ahead / sizeof *ahead; i++) {
		h.seq = h.gseq = i + 1;
		h.time_ms = world_wall(w) + (uint64_t)ahead[i];
		const struct made made = make_entry(w, EVE, h, "x", 1);
		memcpy(h.prev, made.id, PL_ID_BYTES);
		member_entry(eve, &made, 0);
		member_flush(eve);
		member_run_ms(eve, 10);
		cr_assert_eq(world_durable(w, CHE, EVE, 1), i + 1);
		cr_assert_eq(world_notes(w, CHE, PL_NOTE_CLOCK_SKEW), i < 3 ? 0 : i - 2, "case %zu", i);
	}
	member_free(eve);
	world_free(w);
}

Test(claims, a_head_that_goes_back_is_pointed_out_and_changes_nothing)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	static const uint64_t heads[] = { 3, 5, 5, 4, 4 };
	struct pl_header h = { .lane = 1, .kind = PL_KIND_MESSAGE, .generation = 1 };

	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		h.seq = i + 1;
		h.gseq = i + 100;
		h.time_ms = 0;
		h.others[1].seq = heads[i];
		h.others[1].id8[0] = 1;
		const struct made made = make_entry(w, EVE, h, "x", 1);
		memcpy(h.prev, made.id, PL_ID_BYTES);
		member_entry(eve, &made, 0);
		member_flush(eve);
		member_run_ms(eve, 10);
		cr_assert_eq(world_durable(w, CHE, EVE, 1), i + 1);
		cr_assert_eq(world_notes(w, CHE, PL_NOTE_HEAD_BACK), i < 3 ? 0 : 1, "case %zu", i);
	}
	member_free(eve);
	world_free(w);
}
