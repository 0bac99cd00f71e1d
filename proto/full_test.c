/* A node whose disk is full: what it still does for others, and how it goes on. Stories as in engine_test.c. */
#include <criterion/criterion.h>

#include "tests/hostile.h"

static void fill(struct world *w, uint16_t node)
{
	world_store_fails(w, node, true);
	(void)world_submit(w, node, 1, PL_KIND_MESSAGE, 0, "lost", 4); /* it is noticed when something is written */
	world_run_ms(w, 50);
}

static bool is_linked(struct world *w, uint16_t node, uint16_t peer)
{
	struct pl_peer_info info;

	pl_engine_peer(world_engine(w, node), peer, &info);
	return info.state == PL_SESSION_LIVE;
}

Test(full, a_store_that_fails_takes_nothing_and_goes_on_when_it_can)
{
	struct world *w = chain();

	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "one", 3), PL_OK);
	cr_assert(world_converges(w, 5000));
	world_store_fails(w, CHE, true);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "two", 3), PL_OK);
	world_run_ms(w, 3000);
	cr_assert_eq(world_durable(w, CHE, FIN, 1), 1);
	cr_assert_eq(pl_engine_acked(world_engine(w, FIN), CHE, FIN, 1), 1);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "mine", 4), PL_ERR_STATE);
	world_store_fails(w, CHE, false);
	cr_assert(world_converges(w, 60000));
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 2);
	world_free(w);
}

/* More than one, of which only the first continues what CHE has. */
Test(full, a_full_relay_keeps_its_links_and_sends_a_flash_on)
{
	struct world *w = chain();

	fill(w, CHE);
	for (int i = 0; i < 5; i++) {
		const uint64_t start = world_now(w);
		cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
		world_run_ms(w, 200);
		cr_assert(world_same_entry(w, FIN, SGP, FIN, 0, (uint64_t)i + 1), "FLASH %d", i);
		cr_assert_lt(world_durable_at(w, SGP, FIN, 0, (uint64_t)i + 1) - start, 20);
	}
	cr_assert_eq(world_durable(w, CHE, FIN, 0), 0);
	cr_assert_eq(pl_engine_acked(world_engine(w, FIN), CHE, FIN, 0), 0, "it keeps nothing, and says so");
	cr_assert(is_linked(w, FIN, CHE) && is_linked(w, SGP, CHE));
	cr_assert_eq(world_notes(w, FIN, PL_NOTE_LINK_LOST), 0);
	world_store_fails(w, CHE, false);
	cr_assert(world_converges(w, 1000), "what it has missed is fetched at once");
	cr_assert_eq(world_durable(w, CHE, FIN, 0), 5);
	world_run_ms(w, 100);
	cr_assert_eq(pl_engine_acked(world_engine(w, FIN), CHE, FIN, 0), 5);
	world_free(w);
}

Test(full, a_node_that_was_full_from_its_start_gets_links_and_relays)
{
	struct world *w = chain();

	world_stop(w, CHE);
	world_crash(w, CHE);
	fill(w, CHE);
	world_run_ms(w, 5000);
	cr_assert(is_linked(w, FIN, CHE) && is_linked(w, SGP, CHE));
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
	world_run_ms(w, 200);
	cr_assert(world_same_entry(w, FIN, SGP, FIN, 0, 1));
	world_free(w);
}

/* FIN - CHE, SGP, AAD, all linked with each other and full, but for FIN: none can tell by its store that it has had one. */
Test(full, full_nodes_do_not_pass_a_flash_round_and_round)
{
	struct world *w = world_new(4, 1);

	world_mesh(w, 0, 4);
	world_start(w);
	world_run_ms(w, 100);
	for (uint16_t node = 1; node < 4; node++)
		fill(w, node);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
	world_run_ms(w, 2000);
	for (uint16_t node = 1; node < 4; node++) {
		struct pl_engine_counters counters;
		pl_engine_counters(world_engine(w, node), &counters);
		cr_assert_leq(counters.flash_forwarded, 1, "node %u has sent it on %d times", node, (int)counters.flash_forwarded);
	}
	world_free(w);
}

Test(full, what_nobody_has_signed_is_not_sent_on)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	struct pl_engine_counters counters;
	struct made bad = author_next(w, &author, 0, PL_FLAG_FLASH, 20);

	bad.entry_header[PL_ENTRY_HEADER_BYTES - 1] ^= 1;
	fill(w, CHE);
	member_entry(eve, &bad, PL_FRAME_FLASH);
	member_flush(eve);
	member_run_ms(eve, 50);
	pl_engine_counters(world_engine(w, CHE), &counters);
	cr_assert_eq(counters.flash_forwarded, 0);
	cr_assert_eq(counters.entries_refused, 1);
	member_free(eve);
	world_free(w);
}

/* --- little room --- */

static void room_for(struct world *w, uint16_t node, uint8_t lanes, uint64_t lane_bytes_max)
{
	struct pl_event event = { .type = PL_EV_ROOM, .room = { lanes, lane_bytes_max } };

	cr_assert_eq(world_step(w, node, &event), PL_OK);
}

Test(full, a_relay_without_room_for_bulk_still_carries_messages)
{
	struct world *w = chain();
	struct pl_lane_info info;

	room_for(w, CHE, 2, UINT64_MAX);
	world_submit_bulk(w, FIN, 300, 500);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "now", 3), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "soon", 4), PL_OK);
	world_run_ms(w, 60000);
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 1);
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 1);
	cr_assert_eq(world_durable(w, CHE, FIN, 2), 0);
	room_for(w, CHE, 1, UINT64_MAX);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "later", 5), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, "now", 3), PL_OK);
	world_run_ms(w, 60000);
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 2);
	cr_assert_eq(world_durable(w, CHE, FIN, 1), 1);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_ERR_DISK_FULL);
	cr_assert_eq(world_submit(w, CHE, 0, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	/* nothing is sent over and over meanwhile */
	struct pl_peer_info before, after;
	pl_engine_peer(world_engine(w, FIN), CHE, &before);
	for (int i = 0; i < 20; i++) {
		world_submit_bulk(w, FIN, 1, 500);
		world_run_ms(w, 3000);
	}
	pl_engine_peer(world_engine(w, FIN), CHE, &after);
	cr_assert_leq(after.entries_out - before.entries_out, 1, "%d", (int)(after.entries_out - before.entries_out));
	room_for(w, CHE, 3, UINT64_MAX);
	world_run_ms(w, 200);
	cr_assert_eq(world_durable(w, CHE, FIN, 2), 320);
	cr_assert(world_converges(w, 10000));
	cr_assert_eq(world_durable(w, SGP, FIN, 2), 320);
	pl_engine_lane(world_engine(w, CHE), FIN, 1, &info);
	cr_assert_eq(info.durable_seq, 2);
	world_free(w);
}

/* waits: how many entries are known of and not taken */
static void check_share(struct world *w, uint16_t node, uint16_t of, uint8_t lane, bool is_full, uint64_t waits)
{
	struct pl_lane_info info;

	pl_engine_lane(world_engine(w, node), of, lane, &info);
	cr_assert_eq(info.share_full, is_full);
	cr_assert_eq(info.has_room, !is_full);
	cr_assert_eq(info.wanted_seq - info.have_seq, waits, "%d wait", (int)(info.wanted_seq - info.have_seq));
}

/* FIN floods with bulk; what others say goes on, and what FIN says otherwise. */
Test(full, one_author_fills_its_share_and_no_more)
{
	const uint64_t entry_bytes = pl_entry_kept_bytes(PL_KIND_INDICATORS, 1000);
	struct world *w = chain();

	room_for(w, CHE, 3, 100 * entry_bytes);
	world_submit_bulk(w, FIN, 300, 1000);
	world_submit_bulk(w, SGP, 50, 1000);
	world_run_ms(w, 60000);
	const uint64_t taken = world_durable(w, CHE, FIN, 2);
	cr_assert(taken >= 100 && taken <= 101, "%d entries", (int)taken);
	cr_assert_eq(world_durable(w, CHE, SGP, 2), 50, "that is FIN's affair alone");
	cr_assert_eq(world_durable(w, FIN, SGP, 2), 50);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_SHARE), 1, "said %u times", world_notes(w, CHE, PL_NOTE_SHARE));
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "soon", 4), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "now", 3), PL_OK);
	world_run_ms(w, 1000);
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 1);
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 1);
	cr_assert(is_linked(w, FIN, CHE));

	/* a restart does not make it forget what is there, nor keep to itself that more waits */
	world_crash(w, CHE);
	room_for(w, CHE, 3, 100 * entry_bytes);
	check_share(w, CHE, FIN, 2, true, 0);
	world_run_ms(w, 60000);
	cr_assert_eq(world_durable(w, CHE, FIN, 2), taken);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_SHARE), 2, "said %u times", world_notes(w, CHE, PL_NOTE_SHARE));
	check_share(w, CHE, FIN, 2, true, 300 - taken);
	check_share(w, CHE, FIN, 1, false, 0);
	check_share(w, CHE, SGP, 2, false, 0);
	room_for(w, CHE, 3, 200 * entry_bytes);
	world_run_ms(w, 60000);
	cr_assert(world_durable(w, CHE, FIN, 2) >= 200 && world_durable(w, CHE, FIN, 2) <= 201);
	room_for(w, CHE, 3, UINT64_MAX);
	cr_assert(world_converges(w, 10000));
	check_share(w, CHE, FIN, 2, false, 0);
	room_for(w, CHE, 2, UINT64_MAX);
	struct pl_lane_info info;
	pl_engine_lane(world_engine(w, CHE), FIN, 2, &info);
	cr_assert(!info.has_room && !info.share_full, "it is not FIN that fills this disk");
	world_free(w);
}

/* It is not bulk alone that fills disks. */
Test(full, a_member_fills_its_share_of_each_lane_and_its_flash_goes_on)
{
	static const uint8_t text[1000];
	struct world *w = chain();

	room_for(w, CHE, PL_LANES, 10 * pl_entry_kept_bytes(PL_KIND_MESSAGE, sizeof(text)));
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, text, sizeof(text)), PL_OK);
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, text, sizeof(text)), PL_OK);
	}
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "one more", 8), PL_OK);
	world_run_ms(w, 1000);
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 10);
	cr_assert_eq(world_durable(w, CHE, FIN, 1), 10);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_SHARE), 1);
	for (uint64_t seq = 11; seq <= 13; seq++) {
		cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "now", 3), PL_OK);
		world_run_ms(w, 200);
		cr_assert(world_same_entry(w, FIN, SGP, FIN, 0, seq), "FLASH %d", (int)seq);
	}
	cr_assert_eq(world_durable(w, CHE, FIN, 0), 10);
	cr_assert_eq(pl_engine_acked(world_engine(w, FIN), CHE, FIN, 0), 10);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_SHARE), 2);
	for (uint8_t lane = 0; lane < PL_LANES; lane++)
		cr_assert_eq(world_submit(w, SGP, lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, text, sizeof(text)), PL_OK);
	world_run_ms(w, 1000);
	for (uint8_t lane = 0; lane < PL_LANES; lane++)
		cr_assert_eq(world_durable(w, FIN, SGP, lane), 1, "what others say goes on");
	room_for(w, CHE, PL_LANES, UINT64_MAX);
	cr_assert(world_converges(w, 10000));
	world_free(w);
}

/* Small objects become tables of many times their size; the pieces of an attachment do not. */
Test(full, indicators_count_with_what_becomes_of_them)
{
	static const uint8_t chunk[1000];
	struct world *w = chain();

	room_for(w, CHE, PL_LANES, 80 * (PL_ENTRY_HEADER_BYTES + sizeof(chunk)));
	world_submit_bulk(w, FIN, 30, sizeof(chunk));
	for (int i = 0; i < 30; i++)
		cr_assert_eq(world_submit(w, SGP, 2, PL_KIND_ATTACHMENT, 0, chunk, sizeof(chunk)), PL_OK);
	world_run_ms(w, 60000);
	cr_assert_eq(world_durable(w, CHE, FIN, 2), 80 / PL_INDICATORS_KEPT);
	cr_assert_eq(world_durable(w, CHE, SGP, 2), 30);
	world_free(w);
}

/* Or a member with more nodes would have more of everybody's disk. */
Test(full, all_nodes_of_a_member_have_one_share)
{
	struct world *w = world_new(3, 1);
	struct pl_charter *charter = world_charter(w);

	charter->members[FIN].nodes_count = 2;
	charter->nodes[CHE].member = FIN;
	world_link(w, FIN, CHE);
	world_link(w, CHE, SGP);
	world_start(w);
	world_run_ms(w, 100);
	room_for(w, SGP, PL_LANES, 100 * pl_entry_kept_bytes(PL_KIND_INDICATORS, 1000));
	world_submit_bulk(w, FIN, 60, 1000);
	world_run_ms(w, 1000);
	world_submit_bulk(w, CHE, 60, 1000);
	world_run_ms(w, 60000);
	cr_assert_eq(world_durable(w, SGP, FIN, 2), 60);
	cr_assert_eq(world_durable(w, SGP, CHE, 2), 40);
	world_free(w);
}

/* What fetches by the run stops at the share as well; and what the disk did not take is not counted. */
Test(full, the_share_holds_in_catch_up_and_counts_only_what_is_kept)
{
	const uint64_t entry_bytes = pl_entry_kept_bytes(PL_KIND_INDICATORS, 1000);
	struct world *w = world_new(2, 1);

	world_link(w, FIN, CHE);
	world_start(w);
	world_run_ms(w, 100);
	world_cut(w, FIN, CHE);
	world_submit_bulk(w, FIN, 300, 1000);
	world_run_ms(w, 100);
	room_for(w, CHE, 3, 100 * entry_bytes);
	world_heal(w, FIN, CHE);
	world_run_ms(w, 60000);
	cr_assert(world_durable(w, CHE, FIN, 2) >= 100 && world_durable(w, CHE, FIN, 2) <= 101, "%d", (int)world_durable(w, CHE, FIN, 2));
	room_for(w, CHE, 3, 200 * entry_bytes);
	world_store_fails(w, CHE, true);
	world_run_ms(w, 1000);
	world_store_fails(w, CHE, false);
	world_run_ms(w, 60000);
	cr_assert(world_durable(w, CHE, FIN, 2) >= 200 && world_durable(w, CHE, FIN, 2) <= 201, "%d", (int)world_durable(w, CHE, FIN, 2));
	world_free(w);
}

Test(full, that_an_author_has_filled_its_share_is_said_once_until_there_is_room_again)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	struct pl_engine_counters counters;

	room_for(w, CHE, PL_LANES, 1000);
	const struct made first = author_next(w, &author, 2, 0, 1000), next = author_next(w, &author, 2, 0, 1000);
	member_entry(eve, &first, 0);
	member_flush(eve);
	member_run_ms(eve, 50);
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 1);
	for (uint32_t round = 1; round <= 2; round++) {
		for (int i = 0; i < 3; i++) {
			member_entry(eve, &next, 0); /* although it is choked */
			member_flush(eve);
			member_run_ms(eve, 50);
		}
		cr_assert_eq(world_durable(w, CHE, EVE, 2), 1);
		cr_assert_eq(world_notes(w, CHE, PL_NOTE_SHARE), round);
		pl_engine_counters(world_engine(w, CHE), &counters);
		cr_assert_eq(counters.shares_filled, round);
		room_for(w, CHE, PL_LANES, 100000);
		room_for(w, CHE, PL_LANES, 1000);
	}
	member_free(eve);
	world_free(w);
}
