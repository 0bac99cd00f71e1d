/* What an entry claims and nobody can check when it comes: its time, the heads of other lanes. It is pointed out to people, and changes nothing. */
#include "tests/hostile.h"

Test(claims, a_time_that_is_off_is_pointed_out_and_changes_nothing)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	static const int64_t ahead[] = { 0, PL_CLOCK_SKEW_FLAG_MS, -PL_CLOCK_SKEW_FLAG_MS + 1000, PL_CLOCK_SKEW_FLAG_MS + 100, -3600000 };
	struct pl_header h = { .lane = 1, .kind = PL_KIND_MESSAGE, .generation = 1 };

	for (size_t i = 0; i < sizeof(ahead) / sizeof(*ahead); i++) {
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
	struct pl_engine_counters counters;
	struct pl_header h = { .lane = 1, .kind = PL_KIND_MESSAGE, .generation = 1 };

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
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
		pl_engine_counters(world_engine(w, CHE), &counters);
		cr_assert_eq(counters.heads_back, i < 3 ? 0 : 1, "case %zu", i);
	}
	member_free(eve);
	world_free(w);
}

/* Of a run only the last signature is looked at, but every claim. */
Test(claims, what_the_entries_of_a_run_claim_is_pointed_out_too)
{
	enum { ENTRIES = 4 };
	static const uint64_t heads[ENTRIES] = { 5, 4, 4, 3 };
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct pl_engine_counters counters;
	struct pl_header h = { .lane = 2, .kind = PL_KIND_INDICATORS, .generation = 1 };
	struct made run[ENTRIES];

	for (size_t i = 0; i < ENTRIES; i++) {
		h.seq = i + 1;
		h.gseq = i + 100;
		h.time_ms = world_wall(w) + (i == 2 ? PL_CLOCK_SKEW_FLAG_MS + 1000 : 0);
		h.others[1].seq = heads[i];
		h.others[1].id8[0] = 1;
		run[i] = make_entry(w, EVE, h, "x", 1);
		memcpy(h.prev, run[i].id, PL_ID_BYTES);
	}
	announce(eve, &run[ENTRIES - 1]);
	check_asked(eve, &run[ENTRIES - 1], 1);
	answer(eve, run, ENTRIES);
	member_run_ms(eve, 100);
	cr_assert_eq(world_durable(w, CHE, EVE, 2), ENTRIES);
	pl_engine_counters(world_engine(w, CHE), &counters);
	cr_assert_eq(counters.catchup_batched, ENTRIES - 1, "it was a run");
	cr_assert_eq(counters.heads_back, 2);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_HEAD_BACK), 2);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_CLOCK_SKEW), 1);
	member_free(eve);
	world_free(w);
}

/* FIN's lane 0 commits while its lane 1 has not, and never will. */
static void lane_1_is_lost(struct world *w, uint16_t at)
{
	world_lane_latency(w, 1, 500);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "b", 1), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, "c", 1), PL_OK);
	world_run_ms(w, 100);
	cr_assert_eq(world_durable(w, at, FIN, 0), 1);
	cr_assert_eq(world_durable(w, at, FIN, 1), 1);
}

Test(claims, an_author_whose_commit_failed_names_no_head_that_it_loses)
{
	struct world *w = network();

	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "a", 1), PL_OK);
	cr_assert(world_converges(w, 5000));
	lane_1_is_lost(w, CHE);
	world_store_fails(w, FIN, true);
	world_run_ms(w, 10);
	world_store_fails(w, FIN, false);
	world_run_ms(w, 2000);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, "d", 1), PL_OK);
	cr_assert(world_converges(w, 5000));
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 2);
	cr_assert_eq(world_notes(w, FIN, PL_NOTE_HEAD_BACK), 0);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_HEAD_BACK), 0);
	world_free(w);
}

Test(claims, an_author_killed_between_commits_names_no_head_that_it_loses)
{
	struct world *w = network();

	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "a", 1), PL_OK);
	cr_assert(world_converges(w, 5000));
	lane_1_is_lost(w, CHE);
	world_crash(w, FIN);
	world_run_ms(w, 2000);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, "d", 1), PL_OK);
	cr_assert(world_converges(w, 5000));
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 2);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_HEAD_BACK), 0);
	world_free(w);
}

Test(claims, a_receiver_whose_commit_failed_does_not_point_an_author_out)
{
	struct world *w = network();
	struct pl_lane_info info = { 0 };

	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "a", 1), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, "a0", 2), PL_OK);
	cr_assert(world_converges(w, 5000));
	world_lane_latency(w, 0, 30);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, "b", 1), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "c", 1), PL_OK);
	world_run_ms(w, 10);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, "d", 1), PL_OK); /* names c, as b did not */
	for (int i = 0; i < 300 && info.have_seq < 3; i++) {
		world_run_ms(w, 1);
		pl_engine_lane(world_engine(w, CHE), FIN, 0, &info);
	}
	cr_assert(info.have_seq == 3 && info.durable_seq == 1);
	world_store_fails(w, CHE, true);
	world_run_ms(w, 100);
	world_store_fails(w, CHE, false);
	cr_assert(world_converges(w, 60000));
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_HEAD_BACK), 0);
	world_free(w);
}

Test(claims, an_entry_from_before_or_after_its_certificate_is_refused)
{
	for (int what = 0; what < 4; what++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			struct world *w = network();
			struct member *eve = live(w, CHE);
			const struct pl_certificate *c = &world_charter(w)->nodes[EVE].certificate;
			const uint64_t times[] = { c->valid_from_ms, c->valid_until_ms, c->valid_from_ms - 1, c->valid_until_ms + 1 };
			struct pl_header h = { .lane = lane, .kind = lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, .generation = 1, .seq = 1, .gseq = 1,
				               .time_ms = times[what] };
			const struct made one = make_entry(w, EVE, h, "1", 1);
			member_entry(eve, &one, 0);
			member_flush(eve);
			member_run_ms(eve, 20);
			cr_assert_eq(world_durable(w, CHE, EVE, lane), what < 2, "time %d, lane %u", what, lane);
			member_free(eve);
			world_free(w);
		}
	}
}

Test(claims, a_node_whose_certificate_is_not_valid_by_its_clock_signs_nothing)
{
	struct world *w = world_new(2, 1);

	world_charter(w)->nodes[CHE].certificate.valid_until_ms = world_wall(w) - 1;
	world_start(w);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_ERR_EXPIRED);
	world_free(w);
}
