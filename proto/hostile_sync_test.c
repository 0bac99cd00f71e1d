/* What one member can do to the others, and what it cannot: what a member says that it holds, asks for, and is asked for. See tests/hostile.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "proto/state.h"
#include "tests/hostile.h"

/* --- acknowledging --- */

Test(hostile_sync, an_acknowledgement_names_only_what_is_durable)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };

	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		world_latency(w, 1, 1000);
		const uint64_t start = world_now(w);
		const struct made first = author_next(w, &author, lane, 0, 10), second = author_next(w, &author, lane, 0, 10);
		member_entry(eve, &first, 0);
		member_flush(eve);
		member_run_ms(eve, 500);
		member_entry(eve, &second, 0);
		member_flush(eve);
		member_run_ms(eve, 499);
		cr_assert_eq(member_told(eve, PL_FRAME_ACK, EVE, lane), 0);
		member_run_ms(eve, start + 1400 - world_now(w));
		cr_assert_eq(member_told(eve, PL_FRAME_ACK, EVE, lane), 1, "lane %u", lane);
		member_run_ms(eve, 200);
		cr_assert_eq(member_told(eve, PL_FRAME_ACK, EVE, lane), 2);
		world_latency(w, 1, 1);
		member_run_ms(eve, 2000);
	}
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, a_frontier_names_only_what_is_durable)
{
	struct world *w = network();

	world_latency(w, 1, 1000);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	world_run_ms(w, 500);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	world_run_ms(w, 600);
	struct member *eve = greet(w, CHE);
	member_go_live(eve);
	cr_assert_eq(member_told(eve, PL_FRAME_FRONTIER, CHE, 1), 1);
	member_run_ms(eve, 1000);
	cr_assert_eq(member_told(eve, PL_FRAME_HAVE, CHE, 1), 2, "who has not caught up asks");
	cr_assert_eq(member_copies(eve, CHE, 1, 2), 0);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, who_acknowledges_nothing_is_served_and_what_is_held_for_it_is_counted)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct pl_peer_info info;

	for (int i = 0; i < 20; i++)
		cr_assert_eq(world_submit(w, FIN, (uint8_t)(i % 2), PL_KIND_MESSAGE, i % 2 ? 0 : PL_FLAG_FLASH, &i, sizeof(i)), PL_OK);
	member_run_ms(eve, 60000);
	cr_assert(member_is_open(eve));
	for (uint64_t seq = 1; seq <= 10; seq++)
		cr_assert(member_copies(eve, FIN, 0, seq) > 0 && member_copies(eve, FIN, 1, seq) > 0);
	pl_engine_peer(world_engine(w, CHE), EVE, &info);
	cr_assert_eq(info.held_entries, 20);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, an_entry_is_an_acknowledgement_too_unless_it_travels_as_a_flash)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE }, fin = { .node = FIN };
	const struct made flash = author_next(w, &author, 0, PL_FLAG_FLASH, 20), plain = author_next(w, &author, 0, 0, 20),
	                  next = author_next(w, &author, 0, 0, 20), of_fin = author_next(w, &fin, 1, 0, 20),
	                  second_of_fin = author_next(w, &fin, 1, 0, 20);
	struct member *other = live(w, SGP);

	member_entry(eve, &flash, PL_FRAME_FLASH);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, EVE, 0), 0, "it may not be durable there");
	member_entry(eve, &flash, PL_FRAME_FLASH);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, EVE, 0), 0);
	member_entry(eve, &flash, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, EVE, 0), 1, "a copy after its commit");
	member_entry(eve, &plain, 0);
	member_entry(eve, &next, PL_FRAME_CATCHUP);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, EVE, 0), 3);
	/* HAVE comes after a commit too; one that comes before the entry that it names counts when that is here */
	member_item(eve, PL_FRAME_HAVE, 0, FIN, 1, 2, second_of_fin.id);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 1), 0);
	member_entry(other, &of_fin, 0);
	member_flush(other);
	member_run_ms(other, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 1), 0, "what it named is not here yet");
	member_entry(other, &second_of_fin, 0);
	member_flush(other);
	member_run_ms(other, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 1), 2);
	member_free(eve);
	member_free(other);
	world_free(w);
}

/* --- asking and being asked --- */

Test(hostile_sync, who_announces_and_never_delivers_costs_three_seconds_once)
{
	struct world *w = network();
	struct member *eve = live(w, SGP);

	for (int round = 0; round < 5; round++) {
		world_cut(w, SGP, CHE);
		for (int i = 0; i < 10; i++)
			cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
		member_run_ms(eve, 100);
		member_item(eve, PL_FRAME_HAVE, 0, FIN, 1, 1000000, NULL);
		member_flush(eve);
		world_heal(w, SGP, CHE);
		const uint64_t start = world_now(w), have = world_durable(w, SGP, FIN, 1);
		while (world_durable(w, SGP, FIN, 1) < have + 10 && world_now(w) < start + 20000) {
			member_item(eve, PL_FRAME_HAVE, 0, FIN, 1, 1000000 + world_now(w), NULL); /* it goes on saying so */
			member_flush(eve);
			member_run_ms(eve, 50);
		}
		/* up to 1.5 s until the link is up again */
		cr_assert_lt(world_now(w) - start, round == 0 ? 5000 : 2000, "round %d: %d ms", round, (int)(world_now(w) - start));
	}
	struct pl_want want;
	cr_assert(member_asked(eve, FIN, 1, &want), "it was asked");
	cr_assert_gt(member_heard_of(eve, PL_FRAME_CANCEL), 0);
	cr_assert(member_is_open(eve), "and is not cut for it");
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, who_delivers_an_entry_now_and_then_does_not_hold_a_lane_up_for_ever)
{
	struct world *w = network();
	struct author fin = { .node = FIN };
	struct made made[40];

	/* FIN's own entries, as EVE has them too */
	for (int i = 0; i < 40; i++)
		made[i] = author_next(w, &fin, 1, 0, 20);
	world_cut(w, SGP, CHE);
	struct member *source = live(w, CHE);
	for (int i = 0; i < 40; i++)
		member_entry(source, &made[i], 0);
	member_flush(source);
	member_run_ms(source, 50);
	cr_assert_eq(world_durable(w, CHE, FIN, 1), 40);
	member_free(source);
	struct member *eve = live(w, SGP);
	announce(eve, &made[39]);
	check_asked(eve, &made[39], 1);
	world_heal(w, SGP, CHE);
	const uint64_t start = world_now(w);
	for (int i = 0; world_durable(w, SGP, FIN, 1) < 40; i++) {
		answer(eve, &made[i], 1);
		member_run_ms(eve, 2500);
		cr_assert_lt(world_now(w) - start, 40000);
	}
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, who_was_asked_and_hangs_up_leaves_the_question_to_another)
{
	struct world *w = network();
	struct member *eve = live(w, SGP);
	struct pl_want want;

	world_cut(w, SGP, CHE);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	world_run_ms(w, 50);
	member_item(eve, PL_FRAME_FRONTIER, PL_FRAME_LAST, FIN, 1, 1000, NULL);
	member_flush(eve);
	member_run_ms(eve, 10);
	cr_assert(member_asked(eve, FIN, 1, &want));
	world_heal(w, SGP, CHE);
	/* within the 3 s that EVE has for an answer */
	struct pl_peer_info info = { 0 };
	for (int ms = 0; ms < 5000 && info.state != PL_SESSION_LIVE; ms += 10) {
		member_run_ms(eve, 10);
		pl_engine_peer(world_engine(w, SGP), CHE, &info);
	}
	member_run_ms(eve, 10);
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 0);
	member_free(eve);
	world_run_ms(w, 20);
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 5);
	world_free(w);
}

Test(hostile_sync, an_answer_about_its_own_feed_does_not_make_up_for_what_is_left_unanswered)
{
	struct world *w = network();
	struct member *eve = live(w, SGP);
	struct author author = { .node = EVE };
	struct pl_want want;

	member_item(eve, PL_FRAME_HAVE, 0, FIN, 1, 1000, NULL);
	member_flush(eve);
	member_run_ms(eve, 4000);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_CANCEL), 1, "left unanswered");
	const struct made own = author_next(w, &author, 1, 0, 20);
	announce(eve, &own);
	answer(eve, &own, 1);
	cr_assert_eq(world_durable(w, SGP, EVE, 1), 1);
	/* CHE tells of FIN's entries and so does EVE, of more */
	world_cut(w, SGP, CHE);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	world_run_ms(w, 50);
	world_heal(w, SGP, CHE);
	struct pl_peer_info info = { 0 };
	for (int ms = 0; ms < 5000 && info.state != PL_SESSION_HELLO; ms++) {
		world_run_ms(w, 1);
		pl_engine_peer(world_engine(w, SGP), CHE, &info);
	}
	cr_assert_eq(info.state, PL_SESSION_HELLO);
	member_forget(eve);
	member_item(eve, PL_FRAME_HAVE, 0, FIN, 1, 1000, NULL); /* it is there before what CHE has */
	member_flush(eve);
	member_run_ms(eve, 40);
	cr_assert_not(member_asked(eve, FIN, 1, &want), "CHE is asked first");
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 5);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, what_became_durable_between_hello_and_frontier_is_asked_for_and_not_pushed_too)
{
	struct world *w = network();
	struct member *eve = greet(w, CHE);

	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	member_run_ms(eve, 20);
	member_go_live(eve);
	member_run_ms(eve, 50);
	cr_assert_eq(member_told(eve, PL_FRAME_FRONTIER, FIN, 1), 1);
	cr_assert_eq(member_copies(eve, FIN, 1, 1), 0);
	member_want(eve, FIN, 1, 1, 1, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(member_copies(eve, FIN, 1, 1), 1);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	member_run_ms(eve, 20);
	cr_assert_eq(member_copies(eve, FIN, 1, 2), 1, "from there on it is pushed");
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, a_store_that_gives_nothing_is_not_asked_for_ever)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	member_run_ms(eve, 50);
	world_store_forgets(w, CHE, true);
	const uint32_t loads = world_loads(w, CHE);
	member_want(eve, FIN, 1, 1, 3, 0);
	member_want(eve, FIN, 1, 2, 2, PL_WANT_FULL);
	member_flush(eve);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "to be pushed", 12), PL_OK);
	member_run_ms(eve, 5000);
	cr_assert_leq(world_loads(w, CHE) - loads, 5, "%u reads", world_loads(w, CHE) - loads);
	cr_assert(member_is_open(eve));
	world_store_forgets(w, CHE, false);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	member_run_ms(eve, 50);
	cr_assert_eq(member_told(eve, PL_FRAME_HAVE, FIN, 1), 5, "what it may not be able to push it announces");
	member_forget(eve);
	member_want(eve, FIN, 1, 1, 5, 0);
	member_flush(eve);
	member_run_ms(eve, 50);
	for (uint64_t seq = 1; seq <= 5; seq++)
		cr_assert_eq(member_copies(eve, FIN, 1, seq), 1);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, a_store_without_memory_is_asked_again_in_a_second)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	member_run_ms(eve, 50);
	member_forget(eve);
	world_store_lacks_memory(w, CHE, true);
	const uint32_t loads = world_loads(w, CHE);
	member_want(eve, FIN, 1, 1, 3, 0);
	member_want(eve, FIN, 1, 2, 2, PL_WANT_FULL);
	member_flush(eve);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "to be pushed", 12), PL_OK);
	member_run_ms(eve, 5500);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_ENTRY), 0);
	cr_assert_leq(world_loads(w, CHE) - loads, 20, "%u reads", world_loads(w, CHE) - loads);
	world_store_lacks_memory(w, CHE, false);
	member_run_ms(eve, 1100);
	for (uint64_t seq = 1; seq <= 4; seq++)
		cr_assert_eq(member_copies(eve, FIN, 1, seq), seq == 2 ? 2 : 1, "entry %d", (int)seq);
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 4);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, what_cannot_be_is_announced_or_asked_for_in_vain)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	for (int i = 0; i < 20; i++)
		cr_assert_eq(world_submit(w, FIN, (uint8_t)(i % 2), PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	member_run_ms(eve, 100);
	const uint32_t loads = world_loads(w, CHE);
	static const uint64_t seqs[] = { 1u << 31, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX };
	for (size_t i = 0; i < sizeof(seqs) / sizeof(*seqs); i++) {
		for (uint16_t node = 0; node < 4; node++) {
			for (uint8_t lane = 0; lane < PL_LANES; lane++) {
				member_item(eve, PL_FRAME_FRONTIER + (i & 1), 0, node, lane, seqs[i], NULL);
				member_item(eve, PL_FRAME_ACK, 0, node, lane, seqs[i], NULL);
				member_want(eve, node, lane, seqs[i] - 1, seqs[i], 0);
				member_want(eve, node, lane, seqs[i], seqs[i], PL_WANT_FULL);
			}
		}
		member_flush(eve);
		member_run_ms(eve, 1000);
	}
	cr_assert(member_is_open(eve));
	cr_assert_lt(world_loads(w, CHE) - loads, 100, "%u reads", world_loads(w, CHE) - loads);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 0), 0, "a number alone acknowledges nothing");
	/* the others are served meanwhile */
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	member_run_ms(eve, 50);
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 11);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, what_is_asked_for_in_full_and_not_there_is_not_looked_for)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	static const uint64_t seqs[] = { 4, (1ULL << 63) + 1, (1ULL << 63) + 3, UINT64_MAX };

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	member_run_ms(eve, 100);
	const uint32_t loads = world_loads(w, CHE);
	for (size_t i = 0; i < sizeof(seqs) / sizeof(*seqs); i++) {
		member_want(eve, FIN, 1, seqs[i], seqs[i], PL_WANT_FULL);
		member_flush(eve);
		member_run_ms(eve, 100);
		cr_assert_eq(world_loads(w, CHE), loads, "case %zu", i);
	}
	member_want(eve, FIN, 1, 3, 3, PL_WANT_FULL);
	member_flush(eve);
	member_run_ms(eve, 100);
	cr_assert_eq(world_loads(w, CHE), loads + 1);
	cr_assert_eq(member_copies(eve, FIN, 1, 3), 2, "pushed, and in full");
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, wants_of_no_form_end_the_link)
{
	struct world *w = network();
	static const struct {
		uint16_t node;
		uint8_t lane, flags;
		uint64_t from, to;
	} wants[] = { { 4, 0, 0, 1, 1 }, { 0xffff, 0, 0, 1, 1 }, { FIN, 3, 0, 1, 1 }, { FIN, 0, 2, 1, 1 }, { FIN, 0, 0, 0, 1 }, { FIN, 0, 0, 2, 1 },
		      { FIN, 0, 0, 1, 65537 }, { FIN, 0, PL_WANT_FULL, 1, 2 } };

	for (size_t i = 0; i < sizeof(wants) / sizeof(*wants); i++) {
		struct member *eve = live(w, CHE);
		member_want(eve, wants[i].node, wants[i].lane, wants[i].from, wants[i].to, wants[i].flags);
		check_ended(w, eve, PL_BYE_FAULT, "want");
	}
	for (int what = 0; what < 4; what++) {
		struct member *eve = live(w, CHE);
		const uint8_t lane[4] = { 0, what & 1 ? FIN : 4, what & 1 ? PL_LANES : 0 };
		member_frame(eve, what & 2 ? PL_FRAME_CANCEL : PL_FRAME_CHOKE, 0, 0, lane, sizeof(lane));
		check_ended(w, eve, PL_BYE_FAULT, "cancel, choke");
	}
	world_free(w);
}

Test(hostile_sync, a_want_is_answered_in_order_replaced_and_withdrawn)
{
	struct world *w = network();

	world_submit_bulk(w, CHE, 400, 1000);
	world_run_ms(w, 1000);
	struct member *eve = live(w, CHE);
	member_want(eve, CHE, 2, 11, 20, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	for (uint64_t seq = 1; seq <= 30; seq++)
		cr_assert_eq(member_copies(eve, CHE, 2, seq), seq > 10 && seq <= 20, "seq %d", (int)seq);
	uint64_t last = 10;
	for (size_t i = 0; i < member_heard_count(eve); i++) {
		const struct member_heard *h = member_heard(eve, i);
		struct pl_wire wire;
		if (h->type != PL_FRAME_ENTRY)
			continue;
		cr_assert_eq(h->flags, PL_FRAME_CATCHUP);
		cr_assert_eq(pl_wire_read(h->payload, h->payload_bytes, &wire), PL_OK);
		cr_assert_eq(wire.header.seq, ++last);
	}
	/* a new one for the same lane takes the old one's place; the credit is gone after some 200 entries in any case */
	member_forget(eve);
	member_want(eve, CHE, 2, 1, 400, 0);
	member_want(eve, CHE, 2, 300, 310, 0);
	member_flush(eve);
	member_run_ms(eve, 100);
	cr_assert_eq(member_copies(eve, CHE, 2, 1), 0);
	cr_assert_eq(member_copies(eve, CHE, 2, 310), 1);
	member_forget(eve);
	const uint8_t cancel[4] = { 0, CHE, 2 };
	member_want(eve, CHE, 2, 1, 400, 0);
	member_flush(eve);
	member_frame(eve, PL_FRAME_CANCEL, 0, 0, cancel, sizeof(cancel));
	member_flush(eve);
	member_credit(eve, PL_CREDIT_BYTES);
	member_flush(eve);
	member_run_ms(eve, 200);
	cr_assert_lt(member_heard_of(eve, PL_FRAME_ENTRY), 150, "%u came", member_heard_of(eve, PL_FRAME_ENTRY));
	member_want(eve, CHE, 2, 7, 7, PL_WANT_FULL);
	member_forget(eve);
	member_flush(eve);
	member_run_ms(eve, 100);
	struct pl_wire wire = { 0 };
	cr_assert_eq(member_copies(eve, CHE, 2, 7), 1);
	for (size_t i = 0; i < member_heard_count(eve); i++) {
		const struct member_heard *h = member_heard(eve, i);
		if (h->type == PL_FRAME_ENTRY && pl_wire_read(h->payload, h->payload_bytes, &wire) == PL_OK && wire.header.seq == 7)
			break;
	}
	cr_assert_eq(wire.form, PL_WIRE_FORM_FULL);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, who_is_choked_announces_until_it_is_asked)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	const uint8_t lane[4] = { 0, FIN, 1 };

	member_frame(eve, PL_FRAME_CHOKE, 0, 0, lane, sizeof(lane));
	member_flush(eve);
	member_run_ms(eve, 5);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "of another", 10), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "floods all the same", 19), PL_OK);
	member_run_ms(eve, 100);
	cr_assert_eq(member_copies(eve, FIN, 1, 1), 0);
	cr_assert_eq(member_told(eve, PL_FRAME_HAVE, FIN, 1), 3);
	cr_assert_eq(member_copies(eve, CHE, 1, 1), 1);
	cr_assert_eq(member_copies(eve, FIN, 0, 1), 1);
	member_want(eve, FIN, 1, 1, 3, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(member_copies(eve, FIN, 1, 3), 1);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "pushed again", 12), PL_OK);
	member_run_ms(eve, 20);
	cr_assert_eq(member_copies(eve, FIN, 1, 4), 1);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, who_chokes_what_was_to_be_pushed_is_told_of_it)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	const uint8_t lane[4] = { 0, FIN, 2 };

	world_submit_bulk(w, FIN, 400, 1000); /* of which CHE has credit for some 200 */
	member_run_ms(eve, 2000);
	cr_assert_eq(world_durable(w, CHE, FIN, 2), 400);
	cr_assert_eq(member_copies(eve, FIN, 2, 400), 0);
	cr_assert_eq(member_told(eve, PL_FRAME_HAVE, FIN, 2), 0, "the entry itself is to tell it");
	member_frame(eve, PL_FRAME_CHOKE, 0, 0, lane, sizeof(lane));
	member_flush(eve);
	member_run_ms(eve, 100);
	cr_assert_eq(member_told(eve, PL_FRAME_HAVE, FIN, 2), 400);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, a_new_session_starts_from_nothing)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	struct pl_want want;
	const struct made bad = spoilt(author_next(w, &author, 2, 0, 20));

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	member_run_ms(eve, 20);
	cr_assert_eq(member_copies(eve, CHE, 1, 3), 1);
	member_want(eve, CHE, 1, 4, 10, 0);
	member_item(eve, PL_FRAME_HAVE, 0, FIN, 1, 100, NULL);
	member_entry(eve, &bad, 0); /* and is not listened to about its bulk for a minute */
	const uint8_t choke[4] = { 0, SGP, 1 };
	member_frame(eve, PL_FRAME_CHOKE, 0, 0, choke, sizeof(choke));
	member_flush(eve);
	member_run_ms(eve, 5);
	member_free(eve);

	eve = live(w, CHE);
	memset(&author, 0, sizeof(author));
	author.node = EVE;
	const struct made good = author_next(w, &author, 2, 0, 21);
	member_entry(eve, &good, 0);
	member_flush(eve);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	cr_assert_eq(world_submit(w, SGP, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	member_run_ms(eve, 200);
	cr_assert_not(member_asked(eve, FIN, 1, &want), "it has announced nothing this time");
	cr_assert_eq(member_heard_of(eve, PL_FRAME_ENTRY), 1, "it has not said that it has the first three, nor asked for more: SGP's alone");
	cr_assert_eq(member_copies(eve, SGP, 1, 1), 1);
	cr_assert_eq(member_told(eve, PL_FRAME_HAVE, CHE, 1), 4);
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 1);
	member_free(eve);
	world_free(w);
}

Test(hostile_sync, nobody_is_pushed_its_own_feed)
{
	struct world *w = network();
	struct member *at_che = live(w, CHE), *at_fin = live(w, FIN);
	struct author author = { .node = EVE };
	const struct made made = author_next(w, &author, 1, 0, 20);

	member_entry(at_fin, &made, 0);
	member_flush(at_fin);
	member_run_ms(at_che, 200);
	cr_assert_eq(world_durable(w, CHE, EVE, 1), 1);
	cr_assert_eq(member_copies(at_che, EVE, 1, 1), 0);
	cr_assert_eq(member_told(at_che, PL_FRAME_ACK, EVE, 1), 1, "it is told that it is here");
	member_free(at_che);
	member_free(at_fin);
	world_free(w);
}
