/* What one member can do to the others, and what it cannot: entries that no form allows, credit, FLASH. See tests/hostile.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "crypto/bytes.h"
#include "proto/state.h"
#include "tests/hostile.h"

/* --- malformed --- */

Test(hostile_feed, entries_that_no_form_allows_end_the_link)
{
	struct world *w = network();
	static uint8_t wire[PL_WIRE_BYTES_MAX];
	static uint8_t body[PL_EPOCH_KEY_BODY_BYTES_MAX + 1];
	const struct pl_header message = { .lane = 1, .kind = PL_KIND_MESSAGE, .generation = 1, .seq = 1, .gseq = 1 };
	struct pl_header key = message;

	key.lane = 0;
	key.kind = PL_KIND_EPOCH_KEY;
	const struct made made = make_entry(w, EVE, message, "x", 1);
	const size_t bytes = made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof(wire));
	const struct {
		size_t at;
		uint8_t value;
	} bent[] = { { 1, 4 /* author: there are 4 nodes */ }, { 0, 0xff }, { 2, 2 }, { 3, 0 /* lane: not the frame's */ }, { 3, 3 }, { 4, 0 },
		     { 4, PL_KIND_INDICATORS }, { 4, 7 }, { 5, 0x80 }, { 5, PL_FLAG_FLASH }, { 6, 1 }, { 7, 1 }, { 15, 0 /* generation */ },
		     { 23, 0 /* seq */ }, { 31, 0 /* gseq */ } };
	for (size_t i = 0; i < sizeof(bent) / sizeof(*bent); i++) {
		struct member *eve = live(w, CHE);
		made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof(wire));
		wire[bent[i].at] = bent[i].value;
		member_frame(eve, PL_FRAME_ENTRY, 0, 1, wire, bytes);
		check_ended(w, eve, PL_BYE_FAULT, "entry");
	}
	for (size_t count = 0; count < PL_WIRE_PREFIX; count += 11) {
		struct member *eve = live(w, CHE);
		made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof(wire));
		member_frame(eve, PL_FRAME_ENTRY, 0, 1, wire, count);
		check_ended(w, eve, PL_BYE_FAULT, "cut short");
	}
	/* too long for its kind; flagged FLASH by the frame alone */
	struct member *eve = live(w, CHE);
	struct made long_key = make_entry(w, EVE, key, body, sizeof(body));
	member_entry(eve, &long_key, 0);
	check_ended(w, eve, PL_BYE_FAULT, "long epoch key");
	eve = live(w, CHE);
	member_entry(eve, &made, PL_FRAME_FLASH);
	check_ended(w, eve, PL_BYE_FAULT, "a FLASH that is none");
	cr_assert_eq(world_durable(w, CHE, EVE, 1), 0);
	world_free(w);
}

Test(hostile_feed, entries_over_the_limit_of_their_kind_end_the_link_before_they_are_whole)
{
	struct world *w = network();
	static uint8_t payload[PL_FRAME_PAYLOAD_BYTES_MAX];
	static const struct {
		uint8_t flags, lane;
		uint32_t total;
		bool ok;
	} cases[] = {
		{ 0, 1, PL_WIRE_BYTES_MAX, true }, { 0, 1, PL_WIRE_BYTES_MAX + 1, false }, { 0, 2, 0xffffffff, false }, { 0, 0, 0x80000000, false },
		{ PL_FRAME_FLASH, 0, PL_WIRE_FLASH_BYTES_MAX, true }, { PL_FRAME_FLASH, 0, PL_WIRE_FLASH_BYTES_MAX + 1, false },
		{ 0, 1, PL_WIRE_PREFIX - 1, false }, { 0, 1, 0, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct member *eve = live(w, CHE);
		pl_put32(payload, cases[i].total);
		member_frame(eve, PL_FRAME_FRAG, PL_FRAME_FIRST | cases[i].flags, cases[i].lane, payload, 100);
		if (!cases[i].ok) {
			check_ended(w, eve, PL_BYE_FAULT, "total");
			continue;
		}
		member_flush(eve);
		member_run_ms(eve, 10);
		cr_assert(member_is_open(eve), "case %zu", i);
		member_free(eve);
	}
	world_free(w);
}

Test(hostile_feed, pieces_that_do_not_fit_together_end_the_link)
{
	struct world *w = network();
	enum { TOTAL = 400, F = PL_FRAME_FIRST, L = PL_FRAME_LAST, C = PL_FRAME_CATCHUP };
	/* Pieces as they come: flags, lane, bytes (4 more in the first). An entry of 400 bytes. */
	static const struct {
		const char *what;
		struct {
			uint8_t flags, lane;
			uint16_t bytes;
		} pieces[4];
	} cases[] = {
		{ "no first", { { 0, 1, 100 } } },
		{ "no first, last", { { L, 1, 100 } } },
		{ "first twice", { { F, 1, 100 }, { F, 1, 100 } } },
		{ "first without a total", { { F | 0x40, 1, 0 } } },
		{ "nothing in it", { { F, 1, 100 }, { 0, 1, 0 } } },
		{ "last too early", { { F, 1, 100 }, { L, 1, 100 } } },
		{ "first is last and too early", { { F | L, 1, 100 } } },
		{ "no last", { { F, 1, 100 }, { 0, 1, 300 } } },
		{ "too much", { { F, 1, 100 }, { L, 1, 301 } } },
		{ "too much, and no end of it", { { F, 1, 100 }, { 0, 1, 301 } } },
		{ "goes on in another lane", { { F, 1, 100 }, { 0, 2, 100 } } },
		{ "goes on with other flags", { { F, 1, 100 }, { C, 1, 100 } } },
		{ "two end in one record", { { F, 1, 200 }, { L, 1, 200 }, { F, 1, 200 }, { L, 1, 200 } } },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct member *eve = live(w, CHE);
		struct author author = { .node = EVE };
		/* the same entry, whole in its bytes, all the way: only the cutting is wrong */
		const struct made made = author_next(w, &author, 1, 0, TOTAL - PL_WIRE_PREFIX);
		uint8_t wire[TOTAL + 100] = { 0 }, piece[TOTAL + 100];
		size_t at = 0;
		made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof(wire));
		for (int k = 0; k < 4 && cases[i].pieces[k].lane > 0; k++) {
			const uint8_t flags = cases[i].pieces[k].flags;
			const size_t count = cases[i].pieces[k].bytes;
			size_t head = 0;
			if (flags & F) {
				at = 0;
				pl_put32(piece, TOTAL);
				head = flags & 0x40 ? 3 : 4;
			}
			memcpy(piece + head, wire + at, count);
			member_frame(eve, PL_FRAME_FRAG, flags & 0x3f, cases[i].pieces[k].lane, piece, head + count);
			at += count;
		}
		check_ended(w, eve, PL_BYE_FAULT, cases[i].what);
	}
	/* and cut as it should be, in many small ones, other frames between */
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	const struct made made = author_next(w, &author, 1, 0, TOTAL - PL_WIRE_PREFIX);
	uint8_t wire[TOTAL], piece[TOTAL];
	made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof(wire));
	for (size_t at = 0; at < TOTAL; at++) {
		pl_put32(piece, TOTAL);
		piece[at == 0 ? 4 : 0] = wire[at];
		member_frame(eve, PL_FRAME_FRAG, (uint8_t)((at == 0 ? F : 0) | (at == TOTAL - 1 ? L : 0)), 1, piece, at == 0 ? 5 : 1);
		if (at % 7 == 0)
			member_frame(eve, PL_FRAME_PONG, 0, 0, wire, 8);
		if (at % 50 == 0)
			member_flush(eve);
	}
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(world_durable(w, CHE, EVE, 1), 1);
	member_free(eve);
	world_free(w);
}

/* What the store is given lies in memory that the next entry's pieces must not touch. */
Test(hostile_feed, an_entry_ends_and_another_begins_in_one_record)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	static uint8_t wires[6][20000], piece[20000];
	enum { BYTES = 12000, FIRST = 9000 };

	for (int i = 0; i < 6; i++) {
		const struct made made = author_next(w, &author, 1, 0, BYTES - PL_WIRE_PREFIX);
		made_wire(&made, PL_WIRE_FORM_NEXT, wires[i], sizeof(wires[i]));
	}
	for (int i = 0; i <= 6; i++) {
		if (i > 0)
			member_frame(eve, PL_FRAME_FRAG, PL_FRAME_LAST, 1, wires[i - 1] + FIRST, BYTES - FIRST);
		if (i < 6) {
			pl_put32(piece, BYTES);
			memcpy(piece + 4, wires[i], FIRST);
			member_frame(eve, PL_FRAME_FRAG, PL_FRAME_FIRST, 1, piece, 4 + FIRST);
		}
		member_flush(eve);
	}
	member_run_ms(eve, 100);
	cr_assert_eq(world_durable(w, CHE, EVE, 1), 6);
	cr_assert_eq(world_durable(w, FIN, EVE, 1), 6, "what was stored is what was signed");
	member_free(eve);
	world_free(w);
}

/* --- credit --- */

static uint64_t cost_heard(const struct member *eve)
{
	uint64_t cost = 0;

	for (size_t i = 0; i < member_heard_count(eve); i++) {
		if (member_heard(eve, i)->type == PL_FRAME_ENTRY && (member_heard(eve, i)->lane == 2 || (member_heard(eve, i)->flags & PL_FRAME_CATCHUP)))
			cost += member_heard(eve, i)->payload_bytes + 16;
	}
	return cost;
}

Test(hostile_feed, no_more_bulk_is_sent_than_there_is_credit)
{
	struct world *w = network();
	struct member *eve = greet(w, CHE);

	member_hello(eve, NULL, 0);
	member_frame(eve, PL_FRAME_FRONTIER, PL_FRAME_LAST, 0, NULL, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	world_submit_bulk(w, CHE, 1000, 1000);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "not bulk", 8), PL_OK);
	member_run_ms(eve, 1000);
	cr_assert_eq(cost_heard(eve), 0);
	cr_assert_eq(member_copies(eve, CHE, 1, 1), 1, "what is not bulk costs none");
	member_credit(eve, 1000 + PL_WIRE_PREFIX + 15);
	member_flush(eve);
	member_run_ms(eve, 100);
	cr_assert_eq(cost_heard(eve), 0, "one byte is missing");
	member_credit(eve, 1);
	member_flush(eve);
	member_run_ms(eve, 100);
	cr_assert_eq(cost_heard(eve), 1000 + PL_WIRE_PREFIX + 16);
	/* never more than 256 KiB, however much is given */
	member_credit(eve, 0xffffffff);
	member_credit(eve, 0xffffffff);
	member_flush(eve);
	member_run_ms(eve, 2000);
	cr_assert_leq(cost_heard(eve), 1160 + PL_CREDIT_BYTES);
	cr_assert_gt(cost_heard(eve), PL_CREDIT_BYTES - 1160);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, who_sends_without_credit_is_cut)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };

	/* Small entries come in faster than signatures can be checked. Credit that comes back is not waited for. */
	for (int i = 0; i < 4000; i++) {
		const struct made made = author_next(w, &author, 2, 0, 1);
		member_entry(eve, &made, 0);
	}
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_not(member_is_open(eve));
	cr_assert_str_eq(world_last_detail(w, CHE, PL_NOTE_PEER_FAULT), "sent without credit");
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, who_reads_nothing_gets_no_credit_back)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	uint64_t cost = 0;

	member_stall(eve);
	for (int i = 0; i < 100 && member_is_open(eve); i++) {
		const struct made made = author_next(w, &author, 2, 0, 10000);
		member_entry(eve, &made, 0);
		member_flush(eve);
		member_run_ms(eve, 5);
		cost += PL_WIRE_PREFIX + 10000 + 16;
	}
	cr_assert_not(member_is_open(eve));
	cr_assert(cost > PL_CREDIT_BYTES && cost < PL_CREDIT_BYTES + PL_CREDIT_BYTES / 4 + 20000, "cut after %d", (int)cost);
	cr_assert_str_eq(world_last_detail(w, CHE, PL_NOTE_PEER_FAULT), "sent without credit");
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, credit_comes_back_for_all_that_is_taken_in_and_for_no_more)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	uint64_t cost = 0, given = 0;

	for (int i = 0; i < 600; i++) {
		const struct made made = author_next(w, &author, 2, 0, i % 7 ? 1000 : 30000);
		member_entry(eve, &made, i % 2 ? PL_FRAME_CATCHUP : 0);
		cost += PL_WIRE_PREFIX + made.body_bytes + 16;
		member_flush(eve);
		member_run_ms(eve, 3);
	}
	member_run_ms(eve, 100);
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 600);
	for (size_t i = 0; i < member_heard_count(eve); i++) {
		if (member_heard(eve, i)->type == PL_FRAME_CREDIT)
			given += pl_get32(member_heard(eve, i)->payload);
	}
	cr_assert_eq(given, cost);
	member_free(eve);
	world_free(w);
}

/* --- FLASH --- */

Test(hostile_feed, a_flash_that_comes_early_waits_for_what_is_before_it)
{
	static const int orders[][4] = { { 2, 3, 4, 1 }, { 4, 3, 2, 1 }, { 3, 2, 1, 4 }, { 2, 4, 1, 3 } };

	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		struct world *w = network();
		struct member *eve = live(w, CHE);
		struct author author = { .node = EVE };
		struct made made[5];
		world_latency(w, 1, 200);
		for (int k = 1; k <= 4; k++)
			made[k] = author_next(w, &author, 0, k == 1 ? 0 : PL_FLAG_FLASH, 20);
		const uint64_t start = world_now(w);
		for (int k = 0; k < 4; k++) {
			member_entry(eve, &made[orders[i][k]], orders[i][k] == 1 ? 0 : PL_FRAME_FLASH);
			member_flush(eve);
			member_run_ms(eve, 2);
		}
		member_run_ms(eve, 1500);
		cr_assert_eq(world_durable(w, CHE, EVE, 0), 4);
		cr_assert_eq(world_durable(w, FIN, EVE, 0), 4);
		/* not asked for again: two commits of 200 ms for the first, which is no FLASH, and the rest right behind it */
		cr_assert_lt(world_durable_at(w, FIN, EVE, 0, 4) - start, 430, "order %zu: after %d ms", i,
		             (int)(world_durable_at(w, FIN, EVE, 0, 4) - start));
		cr_assert_eq(world_durable_at(w, CHE, EVE, 0, 4) - start, 207, "order %zu: %d", i, (int)(world_durable_at(w, CHE, EVE, 0, 4) - start));
		member_free(eve);
		world_free(w);
	}
}

Test(hostile_feed, a_flash_that_comes_too_early_is_not_waited_with)
{
	for (int too_early = 0; too_early < 2; too_early++) {
		struct world *w = network();
		struct member *eve = live(w, CHE);
		struct author author = { .node = EVE };
		const size_t before = PL_FLASH_AHEAD_MAX - 1 + (size_t)too_early;
		struct made made[PL_FLASH_AHEAD_MAX];

		for (size_t i = 0; i < before; i++)
			made[i] = author_next(w, &author, 0, 0, 20);
		const struct made flash = author_next(w, &author, 0, PL_FLAG_FLASH, 20);
		member_entry(eve, &flash, PL_FRAME_FLASH);
		member_flush(eve);
		member_run_ms(eve, 5);
		for (size_t i = 0; i < before; i++)
			member_entry(eve, &made[i], 0);
		member_flush(eve);
		member_run_ms(eve, 50);
		cr_assert_eq(world_durable(w, CHE, EVE, 0), PL_FLASH_AHEAD_MAX, "%d", too_early);
		member_free(eve);
		world_free(w);
	}
}

Test(hostile_feed, places_of_early_flash_entries_are_free_again_afterwards)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };

	world_latency(w, 1, 200);
	for (int round = 0; round < 6; round++) {
		/* 3 of them early, each time */
		struct made made[4];
		for (int k = 0; k < 4; k++)
			made[k] = author_next(w, &author, 0, k == 0 ? 0 : PL_FLAG_FLASH, 20);
		const uint64_t start = world_now(w);
		for (int k = 3; k >= 0; k--)
			member_entry(eve, &made[k], k == 0 ? 0 : PL_FRAME_FLASH);
		member_flush(eve);
		member_run_ms(eve, 1000);
		const uint64_t last = 4 * ((uint64_t)round + 1);
		cr_assert_eq(world_durable_at(w, CHE, EVE, 0, last) - start, 201, "round %d: after %d ms", round,
		             (int)(world_durable_at(w, CHE, EVE, 0, last) - start));
	}
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, flash_entries_from_the_future_do_not_slow_real_ones_down)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	world_latency(w, 10, 50);
	for (int i = 0; i < 40; i++) {
		/* of everybody, each at another place; nobody checks a signature before it can be an entry's turn */
		struct pl_header h = { .kind = PL_KIND_MESSAGE, .flags = PL_FLAG_FLASH, .generation = 1, .seq = (uint64_t)i + 2, .gseq = 1000 };
		h.prev[0] = 1;
		const struct made made = spoilt(make_entry(w, (uint16_t)(i % 4), h, "soon", 4));
		member_entry(eve, &made, PL_FRAME_FLASH);
	}
	member_flush(eve);
	member_run_ms(eve, 30);
	for (uint64_t seq = 1; seq <= 3; seq++) {
		const uint64_t start = world_now(w);
		cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
		member_run_ms(eve, 500);
		cr_assert_eq(world_durable_at(w, SGP, FIN, 0, seq) - start, 120, "took %d ms", (int)(world_durable_at(w, SGP, FIN, 0, seq) - start));
	}
	cr_assert(member_is_open(eve));
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, two_members_cannot_fill_all_places_for_early_flash_entries)
{
	enum { MAL = 4 };
	struct world *w = world_new(5, 1);
	struct author author = { .node = EVE };
	struct made made[4];

	world_play(w, EVE);
	world_play(w, MAL);
	world_link(w, FIN, CHE);
	world_link(w, SGP, CHE);
	world_start(w);
	world_run_ms(w, 100);
	struct member *eve = live(w, CHE), *mal = member_dial(w, MAL, CHE);
	member_go_live(mal);
	/* MAL alone: what is far away is not kept, and of what is near not all places */
	for (int far = 0; far < 2; far++) {
		for (int i = 0; i < 20; i++) {
			struct pl_header h = { .kind = PL_KIND_MESSAGE, .flags = PL_FLAG_FLASH, .generation = 1, .seq = (uint64_t)i + (far ? 1000 : 3), .gseq = 5000 };
			h.prev[0] = 1;
			const struct made bogus = make_entry(w, SGP, h, "soon", 4);
			member_entry(mal, &bogus, PL_FRAME_FLASH);
		}
		member_flush(mal);
		member_run_ms(mal, 5);
		world_latency(w, 1, 200);
		for (int k = 0; k < 4; k++)
			made[k] = author_next(w, &author, 0, k == 0 ? 0 : PL_FLAG_FLASH, 20);
		const uint64_t start = world_now(w);
		for (int k = 3; k >= 0; k--)
			member_entry(eve, &made[k], k == 0 ? 0 : PL_FRAME_FLASH);
		member_flush(eve);
		member_run_ms(eve, 1000);
		cr_assert_eq(world_durable_at(w, CHE, EVE, 0, author.lanes[0].seq) - start, 201, "far %d: after %d ms", far,
		             (int)(world_durable_at(w, CHE, EVE, 0, author.lanes[0].seq) - start));
	}
	/* MAL and EVE together: one that is verified takes a place that only waits */
	for (int i = 0; i < 20; i++) {
		struct pl_header h = { .kind = PL_KIND_MESSAGE, .flags = PL_FLAG_FLASH, .generation = 1, .seq = (uint64_t)i + 3, .gseq = 5000 };
		h.prev[0] = 1;
		const struct made bogus = make_entry(w, i % 2 ? SGP : FIN, h, "soon", 4);
		member_entry(i % 4 < 2 ? eve : mal, &bogus, PL_FRAME_FLASH);
	}
	member_flush(eve);
	member_flush(mal);
	member_run_ms(eve, 5);
	world_latency(w, 10, 50);
	const uint64_t start = world_now(w);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
	member_run_ms(eve, 500);
	cr_assert_eq(world_durable_at(w, SGP, FIN, 0, 1) - start, 120, "took %d ms", (int)(world_durable_at(w, SGP, FIN, 0, 1) - start));
	member_free(eve);
	member_free(mal);
	world_free(w);
}

Test(hostile_feed, an_author_over_its_flash_quota_is_passed_on_like_others)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	struct pl_engine_counters counters;

	for (int i = 0; i < 40; i++) {
		const struct made made = author_next(w, &author, 0, PL_FLAG_FLASH, 20);
		member_entry(eve, &made, PL_FRAME_FLASH);
		member_flush(eve);
		member_run_ms(eve, 10);
	}
	member_run_ms(eve, 100);
	cr_assert(member_is_open(eve));
	pl_engine_counters(world_engine(w, CHE), &counters);
	cr_assert_eq(counters.flash_forwarded, PL_FLASH_BURST);
	cr_assert_eq(world_durable(w, SGP, EVE, 0), 40);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, a_flash_reaches_a_link_that_is_still_comparing_frontiers)
{
	struct world *w = network();
	struct member *eve = greet(w, CHE);
	struct pl_peer_info info;

	member_hello(eve, NULL, PL_CREDIT_BYTES);
	member_frame(eve, PL_FRAME_FRONTIER, 0, 0, NULL, 0); /* there is more to come */
	member_flush(eve);
	member_run_ms(eve, 20);
	pl_engine_peer(world_engine(w, CHE), EVE, &info);
	cr_assert_eq(info.state, PL_SESSION_RECON);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "other", 5), PL_OK);
	member_run_ms(eve, 100);
	cr_assert_eq(member_copies(eve, FIN, 0, 1), 1);
	cr_assert_eq(member_copies(eve, FIN, 1, 1), 0);
	member_free(eve);
	world_free(w);
}

/* --- loads of it --- */

Test(hostile_feed, duplicates_are_dropped_and_cost_nobody_a_copy)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	const struct made made = author_next(w, &author, 1, 0, 20);
	struct pl_engine_counters before, after;

	member_entry(eve, &made, 0);
	member_flush(eve);
	member_run_ms(eve, 50);
	pl_engine_counters(world_engine(w, CHE), &before);
	for (int i = 0; i < 1000; i++)
		member_entry(eve, &made, 0);
	member_flush(eve);
	member_run_ms(eve, 50);
	pl_engine_counters(world_engine(w, CHE), &after);
	cr_assert(member_is_open(eve));
	cr_assert_eq(after.duplicates - before.duplicates, 1000);
	cr_assert_eq(after.signatures_verified, before.signatures_verified);
	cr_assert_eq(counted_duplicates(w, FIN) + counted_duplicates(w, SGP), 0);
	member_free(eve);
	world_free(w);
}
