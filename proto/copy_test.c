/* A node that was restored from a copy, and acknowledgements: what counts is the entry that a head names, not its number. */
#include <string.h>

#include "tests/hostile.h"

static void run_until_live(struct world *w, uint16_t node, uint16_t peer)
{
	struct pl_peer_info info = { 0 };

	for (int ms = 0; ms < 5000 && info.state != PL_SESSION_LIVE; ms++) {
		world_run_ms(w, 1);
		pl_engine_peer(world_engine(w, node), peer, &info);
	}
	cr_assert_eq(info.state, PL_SESSION_LIVE);
}

static struct world *with_old_entries(void)
{
	struct world *w = network();

	world_latency(w, 5, 1);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "old", 3), PL_OK);
	world_run_ms(w, 500);
	return w;
}

Test(copy, a_node_signs_nothing_while_a_peer_names_own_entries_that_it_lacks)
{
	struct world *w = with_old_entries();

	world_restore_copy(w, FIN, 1, 1);
	run_until_live(w, FIN, CHE);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "new", 3), PL_ERR_STATE);
	world_run_ms(w, 100);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "new", 3), PL_ERR_FORK, "they have come");
	cr_assert_eq(world_durable(w, FIN, FIN, 1), 5);
	for (uint64_t seq = 1; seq <= 5; seq++)
		cr_assert(world_same_entry(w, FIN, CHE, FIN, 1, seq));
	cr_assert_eq(world_forks(w, CHE), 0);
	world_free(w);
}

Test(copy, who_only_claims_to_have_own_entries_silences_nobody_for_long)
{
	struct world *w = network();
	struct member *eve = live(w, FIN);

	for (uint64_t i = 0; i < 20; i++) {
		member_item(eve, PL_FRAME_HAVE, 0, FIN, 0, 1000 + i, (const uint8_t *)"no such head, and no such entry");
		member_flush(eve);
		member_run_ms(eve, 100);
		cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "x", 1), PL_ERR_STATE);
	}
	member_run_ms(eve, 1000);
	for (uint64_t i = 0; i < 20; i++) {
		member_item(eve, PL_FRAME_HAVE, 0, FIN, 0, 2000 + i, (const uint8_t *)"no such head, and no such entry");
		member_flush(eve);
		member_run_ms(eve, 500);
		if (i % 4 == 0)
			cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "x", 1), PL_OK);
	}
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 5);
	cr_assert_eq(pl_engine_acked(world_engine(w, FIN), EVE, FIN, 0), 0, "a claim is no acknowledgement");
	member_free(eve);
	world_free(w);
}

Test(copy, an_acknowledgement_counts_for_the_entry_that_it_names)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct pl_lane_info info;

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	world_run_ms(w, 100);
	pl_engine_lane(world_engine(w, CHE), FIN, 1, &info);
	static const uint8_t other[PL_ID_BYTES] = "another entry";
	for (uint64_t seq = 1; seq <= 3; seq++)
		member_item(eve, PL_FRAME_ACK, 0, FIN, 1, seq, other);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 1), 0);
	member_item(eve, PL_FRAME_ACK, 0, FIN, 1, 3, info.head_id);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 1), 3);
	member_free(eve);
	world_free(w);
}

/* EVE has an entry before CHE has, and says so: it counts when it is here, if it is this one. */
Test(copy, what_is_acknowledged_ahead_counts_when_the_same_entry_is_here)
{
	for (int same = 0; same < 2; same++) {
		struct world *w = network();
		struct member *eve = live(w, CHE), *source = live(w, SGP);
		struct author author = { .node = FIN };
		const struct made made = author_next(w, &author, 1, 0, 20);
		uint8_t id[PL_ID_BYTES];

		memcpy(id, made.id, sizeof(id));
		id[31] ^= !same;
		member_item(eve, PL_FRAME_ACK, 0, FIN, 1, 1, id);
		member_flush(eve);
		member_run_ms(eve, 20);
		member_entry(source, &made, 0); /* which passes it on to CHE */
		member_flush(source);
		member_run_ms(source, 100);
		cr_assert_eq(world_durable(w, CHE, FIN, 1), 1);
		cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 1), same ? 1 : 0);
		member_free(eve);
		member_free(source);
		world_free(w);
	}
}
