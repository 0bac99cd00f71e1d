/* What one member can do to the others by what it says of feeds, its own and those of others, and what it cannot. See tests/hostile.h. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "crypto/bytes.h"
#include "crypto/labels.h"
#include "tests/hostile.h"

static bool is_frozen(struct world *w, uint16_t at, uint16_t node, uint8_t lane)
{
	struct pl_lane_info info;

	pl_engine_lane(world_engine(w, at), node, lane, &info);
	return info.frozen;
}

static uint64_t counted_duplicates(struct world *w, uint16_t node)
{
	struct pl_engine_counters counters;

	pl_engine_counters(world_engine(w, node), &counters);
	return counters.duplicates;
}

/* An entry whose signature has a bit turned. */
static struct made spoilt(struct made made)
{
	made.entry_header[PL_HEADER_BYTES + 40] ^= 4;
	return made;
}

/* --- what the disk has changed --- */

Test(hostile_feed, what_stands_in_for_a_damaged_entry_has_to_be_that_entry)
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

Test(hostile_feed, who_does_not_hold_a_lane_is_not_asked_for_what_is_damaged_in_it)
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

/* --- acknowledging --- */

Test(hostile_feed, an_acknowledgement_names_only_what_is_durable)
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

Test(hostile_feed, a_frontier_names_only_what_is_durable)
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

Test(hostile_feed, who_acknowledges_nothing_is_served_and_what_is_held_for_it_is_counted)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct pl_peer_info info;

	for (int i = 0; i < 20; i++)
		cr_assert_eq(world_submit(w, FIN, (uint8_t)(i % 2), PL_KIND_MESSAGE, i % 2 ? 0 : PL_FLAG_FLASH, &i, sizeof i), PL_OK);
	member_run_ms(eve, 60000);
	cr_assert(member_is_open(eve));
	for (uint64_t seq = 1; seq <= 10; seq++)
		cr_assert(member_copies(eve, FIN, 0, seq) > 0 && member_copies(eve, FIN, 1, seq) > 0);
	pl_engine_peer(world_engine(w, CHE), EVE, &info);
	cr_assert_eq(info.held_entries, 20);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, an_entry_is_an_acknowledgement_too_unless_it_travels_as_a_flash)
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
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 1), 1, "no further than the entries here");
	member_entry(other, &second_of_fin, 0);
	member_flush(other);
	member_run_ms(other, 20);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 1), 2);
	member_free(eve);
	member_free(other);
	world_free(w);
}

/* --- what is not authentic --- */

static uint64_t seq_of(const struct made *made) { return pl_get64(made->entry_header + 16); }

/* Says that it holds a lane up to an entry, and waits to be asked for it. */
static void announce(struct member *eve, const struct made *head)
{
	member_forget(eve);
	member_item(eve, PL_FRAME_HAVE, 0, head->node, head->lane, seq_of(head), head->id);
	member_flush(eve);
	member_run_ms(eve, PL_HAVE_DELAY_MS + 5);
}

static void check_asked(struct member *eve, const struct made *head, uint64_t from)
{
	struct pl_want want;

	cr_assert(member_asked(eve, head->node, head->lane, &want));
	cr_assert_eq(want.flags, 0);
	cr_assert_eq(want.from, from);
	cr_assert_eq(want.to, seq_of(head));
}

static void answer(struct member *eve, const struct made *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		member_entry(eve, &entries[i], PL_FRAME_CATCHUP);
	member_flush(eve);
	member_run_ms(eve, 20);
}

/* The next entry of a feed with a signature that is none, and the author goes on from it. */
static struct made next_spoilt(struct world *w, struct author *author, uint8_t lane)
{
	struct made made = spoilt(author_next(w, author, lane, 0, 20));

	pl_entry_id(world_charter(w)->network_id, made.entry_header, made.id);
	memcpy(author->lanes[lane].id, made.id, PL_ID_BYTES);
	return made;
}

Test(hostile_feed, a_run_of_entries_that_nobody_has_signed_is_not_taken)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		struct author author = { .node = FIN };
		struct made run[10];
		for (int i = 0; i < 10; i++)
			run[i] = next_spoilt(w, &author, lane);
		announce(eve, &run[9]);
		check_asked(eve, &run[9], 1);
		answer(eve, run, 10);
		cr_assert_eq(world_durable(w, CHE, FIN, lane), 0);
		cr_assert(member_is_open(eve), "once is no reason to cut it");
		/* FIN's own entries find their place */
		cr_assert_eq(world_submit(w, FIN, lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
		member_run_ms(eve, 50);
		cr_assert(world_same_entry(w, FIN, CHE, FIN, lane, 1));
	}
	cr_assert_gt(world_notes(w, CHE, PL_NOTE_ENTRY_REFUSED), 0);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, each_entry_of_lanes_0_and_1_is_signed_and_bulk_may_be_vouched_for)
{
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		struct world *w = network();
		struct member *eve = live(w, CHE);
		struct author author = { .node = EVE };
		struct made run[10];
		for (int i = 0; i < 10; i++)
			run[i] = i == 4 ? next_spoilt(w, &author, lane) : author_next(w, &author, lane, 0, 20);
		announce(eve, &run[9]);
		answer(eve, run, 10);
		cr_assert_eq(world_durable(w, CHE, EVE, lane), lane == 2 ? 10 : 4, "lane %u: %d", lane, (int)world_durable(w, CHE, EVE, lane));
		member_free(eve);
		world_free(w);
	}
}

Test(hostile_feed, a_verdict_on_signatures_is_for_those_that_were_asked_about)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };

	world_check_takes(w, 200);
	world_submit_bulk(w, FIN, 8, 500);
	for (int i = 0; i < 8; i++) {
		const struct made made = i == 4 ? next_spoilt(w, &author, 2) : author_next(w, &author, 2, 0, 20);
		member_entry(eve, &made, 0);
	}
	member_flush(eve);
	member_run_ms(eve, 300);
	cr_assert_eq(world_durable(w, CHE, FIN, 2), 8, "%d", (int)world_durable(w, CHE, FIN, 2));
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 4, "%d", (int)world_durable(w, CHE, EVE, 2));
	member_free(eve);
	world_free(w);
}

/* EVE signs badly here and there, so that some hold what others refuse. Those who pass it on are not to be cut for it. */
Test(hostile_feed, bulk_that_does_not_check_out_is_not_asked_for_again_for_a_minute_and_costs_no_link)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	struct made run[8];
	struct pl_want want;

	for (int i = 0; i < 8; i++)
		run[i] = i == 5 ? next_spoilt(w, &author, 2) : author_next(w, &author, 2, 0, 20);
	announce(eve, &run[5]);
	answer(eve, run, 6);
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 5, "what stands before it is taken: %d", (int)world_durable(w, CHE, EVE, 2));
	const uint64_t refused_ms = world_now(w);
	for (int i = 0; i < 40; i++) {
		announce(eve, &run[6]);
		cr_assert_not(member_asked(eve, EVE, 2, &want));
		answer(eve, run + 5, 1);
		member_entry(eve, &run[5], 0);
		member_flush(eve);
		member_run_ms(eve, 100);
	}
	cr_assert(member_is_open(eve));
	cr_assert_leq(world_notes(w, CHE, PL_NOTE_ENTRY_REFUSED), 1);
	member_run_ms(eve, refused_ms + 61000 - world_now(w));
	announce(eve, &run[7]);
	check_asked(eve, &run[7], 6);
	answer(eve, run + 5, 3);
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 8);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, an_entry_on_another_branch_makes_a_node_ask_for_what_is_before_it)
{
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		for (int catchup = 0; catchup < 2; catchup++) {
			struct world *w = network();
			struct member *eve = live(w, CHE);
			struct author author = { .node = EVE };
			const struct made one = author_next(w, &author, lane, 0, 20), two = author_next(w, &author, lane, 0, 20);
			uint8_t wire[PL_WIRE_PREFIX + 20];
			struct pl_want want;
			member_entry(eve, &one, 0);
			made_wire(&two, PL_WIRE_FORM_NEXT, wire, sizeof wire);
			wire[136 + 31] ^= 1; /* the last byte of prev */
			member_frame(eve, PL_FRAME_ENTRY, catchup ? PL_FRAME_CATCHUP : 0, lane, wire, sizeof wire);
			member_flush(eve);
			member_run_ms(eve, 20);
			cr_assert_eq(world_durable(w, CHE, EVE, lane), 1);
			cr_assert(member_asked(eve, EVE, lane, &want));
			cr_assert_eq(want.flags, PL_WANT_FULL, "lane %u, catch-up %d", lane, catchup);
			cr_assert_eq(want.from, 1);
			member_free(eve);
			world_free(w);
		}
	}
}

Test(hostile_feed, gseq_does_not_go_back_nor_stand_still)
{
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		for (int what = 0; what < 4; what++) {
			struct world *w = network();
			struct member *eve = live(w, CHE);
			const uint8_t flags = what & 1 ? PL_FRAME_CATCHUP : 0;
			struct pl_header h = { .lane = lane, .kind = lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, .generation = 1, .seq = 1, .gseq = 50 };
			const struct made one = make_entry(w, EVE, h, "1", 1);
			memcpy(h.prev, one.id, PL_ID_BYTES);
			h.seq = 2;
			h.gseq -= what & 2 ? 1 : 0;
			const struct made two = make_entry(w, EVE, h, "2", 1);
			memcpy(h.prev, two.id, PL_ID_BYTES);
			h.seq = 3;
			h.gseq = 60;
			const struct made three = make_entry(w, EVE, h, "3", 1);
			member_entry(eve, &one, flags);
			member_entry(eve, &two, flags);
			member_entry(eve, &three, flags);
			member_flush(eve);
			member_run_ms(eve, 20);
			cr_assert_eq(world_durable(w, CHE, EVE, lane), 1, "lane %u, case %d", lane, what);
			member_free(eve);
			world_free(w);
		}
	}
}

Test(hostile_feed, headers_that_no_author_may_sign_are_refused_although_one_has)
{
	struct world *w = network();
	struct pl_header bad[6];

	for (int i = 0; i < 6; i++)
		bad[i] = (struct pl_header){ .lane = 1, .kind = PL_KIND_MESSAGE, .generation = 1, .seq = 2, .gseq = 10 };
	bad[0].others[0].seq = 9; /* more entries than gseq counts */
	bad[1].others[0].seq = bad[1].others[1].seq = UINT64_MAX;
	bad[2].others[1].id8[3] = 1; /* the head of an empty lane */
	bad[3].gseq = 1;
	bad[4].charter_epoch = 1;
	bad[5].generation = 2;
	for (int i = 0; i < 6; i++) {
		for (int catchup = 0; catchup < 2; catchup++) {
			for (uint8_t lane = 1; lane < 3; lane++) {
				struct world *v = network();
				struct member *eve = live(v, CHE);
				struct author author = { .node = EVE };
				const struct made one = author_next(v, &author, lane, 0, 5);
				struct pl_header h = bad[i];
				h.lane = lane;
				h.kind = lane == 1 ? PL_KIND_MESSAGE : PL_KIND_INDICATORS;
				memcpy(h.prev, one.id, PL_ID_BYTES);
				const struct made two = make_entry(v, EVE, h, "2", 1);
				/* and a third that vouches for it */
				struct pl_header next = h;
				next.seq = 3;
				next.gseq = 20;
				next.charter_epoch = 0;
				next.generation = 1;
				memset(next.others, 0, sizeof next.others);
				memcpy(next.prev, two.id, PL_ID_BYTES);
				const struct made three = make_entry(v, EVE, next, "3", 1);
				const uint8_t flags = catchup ? PL_FRAME_CATCHUP : 0;
				member_entry(eve, &one, flags);
				member_entry(eve, &two, flags);
				member_entry(eve, &three, flags);
				member_flush(eve);
				member_run_ms(eve, 20);
				cr_assert_eq(world_durable(v, CHE, EVE, lane), 1, "header %d, catch-up %d, lane %u: %d", i, catchup, lane,
				             (int)world_durable(v, CHE, EVE, lane));
				member_free(eve);
				world_free(v);
			}
		}
	}
	world_free(w);
}

Test(hostile_feed, sixteen_entries_that_do_not_check_out_are_borne_and_not_more_by_reconnecting)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = FIN };
	const struct made garbage = spoilt(author_next(w, &author, 1, 0, 20));

	for (int i = 0; i < 16; i++) {
		cr_assert(member_is_open(eve), "after %d", i);
		if (i == 8) {
			member_free(eve);
			eve = live(w, CHE);
		}
		member_entry(eve, &garbage, 0);
		member_flush(eve);
		member_run_ms(eve, 10);
	}
	cr_assert(member_is_open(eve));
	member_entry(eve, &garbage, 0);
	check_ended(w, eve, PL_BYE_FAULT, "the seventeenth");
	eve = live(w, CHE);
	member_run_ms(eve, 60000);
	member_entry(eve, &garbage, 0);
	member_flush(eve);
	member_run_ms(eve, 10);
	cr_assert(member_is_open(eve), "a minute later it counts from none");
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, what_is_refused_is_asked_of_another_at_once)
{
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		struct world *w = network();
		struct member *eve = live(w, SGP);
		struct author author = { .node = FIN };
		struct pl_want want = { 0 };
		const struct made garbage = spoilt(author_next(w, &author, lane, 0, 20));
		world_cut(w, SGP, CHE);
		for (int i = 0; i < 5; i++)
			cr_assert_eq(world_submit(w, FIN, lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
		world_run_ms(w, 50);
		world_heal(w, SGP, CHE);
		/* EVE claims most, and is asked when CHE's frontier shows that something is lacking */
		struct pl_peer_info info = { 0 };
		for (int ms = 0; ms < 5000 && info.state != PL_SESSION_LIVE; ms++) {
			member_run_ms(eve, 1);
			pl_engine_peer(world_engine(w, SGP), CHE, &info);
			if (info.state == PL_SESSION_RECON)
				member_item(eve, PL_FRAME_HAVE, 0, FIN, lane, 1000, garbage.id);
			member_flush(eve);
		}
		member_run_ms(eve, 3);
		if (!member_asked(eve, FIN, lane, &want)) { /* CHE was asked first, and has answered */
			cr_assert_eq(world_durable(w, SGP, FIN, lane), 5);
			announce(eve, &garbage);
		}
		member_entry(eve, &garbage, PL_FRAME_CATCHUP);
		member_flush(eve);
		member_run_ms(eve, 50);
		cr_assert_eq(world_durable(w, SGP, FIN, lane), 5, "lane %u: %d", lane, (int)world_durable(w, SGP, FIN, lane));
		member_free(eve);
		world_free(w);
	}
}

Test(hostile_feed, garbage_in_an_authors_name_does_not_use_up_its_quota)
{
	struct world *w = world_new(4, 1);
	struct author author = { .node = FIN };

	world_play(w, EVE);
	world_link(w, FIN, CHE);
	world_config(w, CHE)->quota[1] = (struct pl_quota){ 1000, 20000 };
	world_start(w);
	world_run_ms(w, 100);
	struct member *eve = live(w, CHE);
	const struct made garbage = spoilt(author_next(w, &author, 1, 0, 10000));
	for (int i = 0; i < 10; i++)
		member_entry(eve, &garbage, 0);
	member_flush(eve);
	member_run_ms(eve, 10);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	member_run_ms(eve, 20);
	cr_assert_eq(world_durable(w, CHE, FIN, 1), 1);
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_QUOTA), 0);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, a_run_of_bulk_counts_against_its_authors_quota)
{
	struct world *w = world_new(4, 1);
	struct author author = { .node = EVE };
	struct made run[20];

	world_play(w, EVE);
	world_link(w, FIN, CHE);
	world_config(w, CHE)->quota[2] = (struct pl_quota){ 2000, 5000 };
	world_start(w);
	world_run_ms(w, 100);
	struct member *eve = live(w, CHE);
	for (int i = 0; i < 20; i++)
		run[i] = author_next(w, &author, 2, 0, 1000);
	announce(eve, &run[19]);
	answer(eve, run, 20);
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 4, "4 of 1,232 bytes: %d", (int)world_durable(w, CHE, EVE, 2));
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_QUOTA), 1);
	for (int i = 0; i < 12; i++) {
		struct pl_want want;
		if (member_asked(eve, EVE, 2, &want))
			answer(eve, run + want.from - 1, (size_t)(21 - want.from));
		member_run_ms(eve, 1000);
	}
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 20, "and the rest as its quota fills: %d", (int)world_durable(w, CHE, EVE, 2));
	cr_assert(member_is_open(eve));
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, runs_that_come_to_nothing_leave_nothing_behind)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	/* 6 MB of it, in all; 4 MB on their way to the disk would keep bulk waiting */
	for (int i = 0; i < 30; i++) {
		struct author author = { .node = SGP };
		const struct made run[2] = { spoilt(author_next(w, &author, 2, 0, 100000)), spoilt(author_next(w, &author, 2, 0, 100000)) };
		announce(eve, &run[1]);
		answer(eve, run, 2);
		member_run_ms(eve, 62000);
	}
	cr_assert(member_is_open(eve));
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_ENTRY_REFUSED), 30);
	world_submit_bulk(w, FIN, 50, 1000);
	member_run_ms(eve, 500);
	cr_assert_eq(world_durable(w, SGP, FIN, 2), 50);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, entries_in_full_are_looked_at_only_when_they_were_asked_for)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	struct made made[20];
	struct pl_engine_counters before, after;

	for (int i = 0; i < 20; i++) {
		made[i] = author_next(w, &author, 1, 0, 20);
		member_entry(eve, &made[i], 0);
	}
	member_flush(eve);
	member_run_ms(eve, 50);
	cr_assert_eq(world_durable(w, CHE, EVE, 1), 20);
	pl_engine_counters(world_engine(w, CHE), &before);
	const uint32_t loads = world_loads(w, CHE);
	for (int i = 0; i < 1000 && member_is_open(eve); i++) {
		member_entry_full(eve, &made[i % 4]);
		member_flush(eve);
		member_run_ms(eve, 2);
	}
	pl_engine_counters(world_engine(w, CHE), &after);
	cr_assert_leq(after.signatures_verified - before.signatures_verified, 17, "%d signatures looked at",
	              (int)(after.signatures_verified - before.signatures_verified));
	cr_assert_leq(world_loads(w, CHE) - loads, 17);
	cr_assert_not(member_is_open(eve));
	member_free(eve);
	world_free(w);

	/* having asked once does not open the door */
	w = network();
	eve = live(w, CHE);
	memset(&author, 0, sizeof author);
	author.node = EVE;
	for (int i = 0; i < 20; i++) {
		made[i] = author_next(w, &author, 1, 0, 20);
		member_entry(eve, &made[i], 0);
	}
	uint8_t wire[PL_WIRE_PREFIX + 20];
	const struct made next = author_next(w, &author, 1, 0, 20);
	made_wire(&next, PL_WIRE_FORM_NEXT, wire, sizeof wire);
	wire[136] ^= 1; /* does not continue: number 20 is asked for in full */
	member_frame(eve, PL_FRAME_ENTRY, 0, 1, wire, sizeof wire);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_WANT), 1);
	pl_engine_counters(world_engine(w, CHE), &before);
	member_entry_full(eve, &made[19]); /* what we have */
	member_flush(eve);
	member_run_ms(eve, 20);
	pl_engine_counters(world_engine(w, CHE), &after);
	cr_assert_eq(after.signatures_verified, before.signatures_verified, "it is what is remembered");
	for (int i = 0; i < 100 && member_is_open(eve); i++) {
		member_entry_full(eve, &made[i % 3]);
		member_flush(eve);
		member_run_ms(eve, 2);
	}
	pl_engine_counters(world_engine(w, CHE), &after);
	cr_assert_eq(after.signatures_verified, before.signatures_verified);
	member_free(eve);
	world_free(w);
}

/* Whoever looks long enough finds two entries whose ids begin alike. */
Test(hostile_feed, heads_are_compared_whole)
{
	static const uint8_t types[] = { PL_FRAME_FRONTIER, PL_FRAME_HAVE, PL_FRAME_ACK };

	for (size_t type = 0; type < sizeof types; type++) {
		struct world *w = network();
		struct member *eve = live(w, CHE);
		struct author author = { .node = EVE };
		const struct made one = author_next(w, &author, 1, 0, 20), two = author_next(w, &author, 1, 0, 20);
		uint8_t head[PL_ID_BYTES];
		struct pl_want want;
		member_entry(eve, &one, 0);
		member_entry(eve, &two, 0);
		member_item(eve, types[type], types[type] == PL_FRAME_FRONTIER ? PL_FRAME_LAST : 0, EVE, 1, 2, two.id);
		member_flush(eve);
		member_run_ms(eve, 20);
		cr_assert_not(member_asked(eve, EVE, 1, &want));
		memcpy(head, one.id, sizeof head);
		head[PL_ID_BYTES - 1] ^= 1;
		member_item(eve, types[type], types[type] == PL_FRAME_FRONTIER ? PL_FRAME_LAST : 0, EVE, 1, 1, head);
		member_flush(eve);
		member_run_ms(eve, 20);
		cr_assert(member_asked(eve, EVE, 1, &want) && want.flags == PL_WANT_FULL && want.from == 1, "frame %u", types[type]);
		member_free(eve);
		world_free(w);
	}
}

/* Signs with a nonce that has served before, so that the first half of the signature is that of another entry. */
static void sign_with_nonce(struct world *w, struct made *made, const uint8_t nonce[32])
{
	uint8_t hash[64], k[32], signed_bytes[sizeof PL_LABEL_ENTRY + PL_ID_BYTES + PL_HEADER_BYTES], *signature = made->entry_header + PL_HEADER_BYTES;
	const uint8_t *secret = world_config(w, made->node)->sign_secret;
	crypto_hash_sha512_state state;

	memcpy(signed_bytes, PL_LABEL_ENTRY, sizeof PL_LABEL_ENTRY);
	memcpy(signed_bytes + sizeof PL_LABEL_ENTRY, world_charter(w)->network_id, PL_ID_BYTES);
	memcpy(signed_bytes + sizeof PL_LABEL_ENTRY + PL_ID_BYTES, made->entry_header, PL_HEADER_BYTES);
	cr_assert_eq(crypto_scalarmult_ed25519_base_noclamp(signature, nonce), 0);
	crypto_hash_sha512_init(&state);
	crypto_hash_sha512_update(&state, signature, 32);
	crypto_hash_sha512_update(&state, secret + 32, 32);
	crypto_hash_sha512_update(&state, signed_bytes, sizeof signed_bytes);
	crypto_hash_sha512_final(&state, hash);
	crypto_core_ed25519_scalar_reduce(k, hash);
	crypto_hash_sha512(hash, secret, 32);
	hash[0] &= 248;
	hash[31] = (uint8_t)((hash[31] & 127) | 64);
	memset(hash + 32, 0, 32);
	crypto_core_ed25519_scalar_reduce(hash, hash);
	crypto_core_ed25519_scalar_mul(k, k, hash);
	crypto_core_ed25519_scalar_add(signature + 32, k, nonce);
	pl_entry_id(world_charter(w)->network_id, made->entry_header, made->id);
	cr_assert_eq(pl_entry_verify(world_charter(w)->network_id, made->entry_header), PL_OK);
}

Test(hostile_feed, signatures_that_begin_alike_are_told_apart)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE }, fork = author;
	struct made one = author_next(w, &author, 1, 0, 20), other = author_next(w, &fork, 1, 0, 21);
	static const uint8_t nonce[32] = { 9, 8, 7 };
	struct pl_want want;

	sign_with_nonce(w, &one, nonce);
	sign_with_nonce(w, &other, nonce);
	member_entry(eve, &one, 0);
	member_entry(eve, &other, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(world_durable(w, CHE, EVE, 1), 1);
	cr_assert(member_asked(eve, EVE, 1, &want) && want.flags == PL_WANT_FULL);
	member_free(eve);
	world_free(w);
}

/* A question is answered by the entry that was asked for and by no other, and whoever gives another one has not used anything up. */
Test(hostile_feed, who_answers_with_another_entry_blinds_nobody)
{
	struct world *w = network();
	struct member *at[3];
	struct author author = { .node = EVE };
	const struct made first = author_next(w, &author, 1, 0, 20);

	for (uint16_t node = 0; node < 3; node++) {
		at[node] = live(w, node);
		member_entry(at[node], &first, 0);
		member_flush(at[node]);
		member_run_ms(at[node], 100);
		for (uint8_t i = 0; i < 12; i++) {
			const uint8_t head[PL_ID_BYTES] = { 1, 2, 3, i };
			struct pl_header far = { .lane = 1, .kind = PL_KIND_MESSAGE, .generation = 1, .seq = (1ull << 40) + i, .gseq = (1ull << 41) + i,
			                         .time_ms = world_wall(w), .prev = { 7 } };
			const struct made made = make_entry(w, EVE, far, "x", 1);
			member_item(at[node], PL_FRAME_HAVE, 0, EVE, 1, 1, head); /* it asks */
			member_flush(at[node]);
			member_run_ms(at[node], 20);
			member_entry_full(at[node], &made);
			member_flush(at[node]);
			member_run_ms(at[node], 20);
		}
		cr_assert(member_is_open(at[node]));
	}
	struct author fork = author;
	const struct made one = author_next(w, &author, 1, 0, 20), other = author_next(w, &fork, 1, 0, 21);
	member_entry(at[FIN], &one, 0);
	member_entry(at[SGP], &other, 0);
	member_flush(at[FIN]);
	member_flush(at[SGP]);
	member_run_ms(at[FIN], 2000);
	for (uint16_t node = 0; node < 3; node++) {
		cr_assert_eq(world_forks(w, node), 1, "node %u", node);
		member_free(at[node]);
	}
	world_free(w);
}

/* EVE has CHE compare what it cannot yet, since its disk is slow, and has it ask for more than it has room for. */
Test(hostile_feed, what_one_peer_makes_a_node_compare_keeps_nothing_of_anothers_out)
{
	enum { MAL = 4 };
	struct world *w = world_new(5, 1);
	struct author author = { .node = EVE }, mal = { .node = MAL }, fork = mal;

	world_play(w, EVE);
	world_play(w, MAL);
	world_start(w);
	struct member *eve = member_dial(w, EVE, CHE), *honest = member_dial(w, MAL, CHE);
	member_go_live(eve);
	member_go_live(honest);
	world_latency(w, 1, 3000);
	const struct made one = author_next(w, &mal, 1, 0, 20), other = author_next(w, &fork, 1, 0, 21);
	member_entry(honest, &one, 0);
	member_entry(honest, &other, 0);
	member_flush(honest);
	member_run_ms(honest, 20);
	member_entry_full(honest, &other);
	member_flush(honest);
	member_run_ms(honest, 20);
	for (int turn = 0; turn < 8; turn++) {
		static const uint8_t false_head[PL_ID_BYTES] = { 1 };
		struct made made[24];
		for (uint64_t i = 0; i < 24; i++) {
			made[i] = author_next(w, &author, 1, 0, 20);
			member_entry(eve, &made[i], 0);
			if (i < 8)
				member_item(eve, PL_FRAME_HAVE, 0, EVE, 1, seq_of(&made[i]), false_head);
		}
		for (int i = 0; i < 8; i++)
			member_entry_full(eve, &made[i]); /* as they are, but no longer remembered */
		member_flush(eve);
		member_run_ms(eve, 10);
	}
	member_run_ms(eve, 4000);
	cr_assert_eq(world_forks(w, CHE), 1);
	cr_assert(is_frozen(w, CHE, MAL, 1));
	cr_assert_not(is_frozen(w, CHE, EVE, 1));
	member_free(eve);
	member_free(honest);
	world_free(w);
}

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
	const size_t bytes = made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof wire);
	const struct {
		size_t at;
		uint8_t value;
	} bent[] = { { 1, 4 /* author: there are 4 nodes */ }, { 0, 0xff }, { 2, 2 }, { 3, 0 /* lane: not the frame's */ }, { 3, 3 }, { 4, 0 },
		     { 4, PL_KIND_INDICATORS }, { 4, 7 }, { 5, 0x80 }, { 5, PL_FLAG_FLASH }, { 6, 1 }, { 7, 1 }, { 15, 0 /* generation */ },
		     { 23, 0 /* seq */ }, { 31, 0 /* gseq */ } };
	for (size_t i = 0; i < sizeof bent / sizeof *bent; i++) {
		struct member *eve = live(w, CHE);
		made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof wire);
		wire[bent[i].at] = bent[i].value;
		member_frame(eve, PL_FRAME_ENTRY, 0, 1, wire, bytes);
		check_ended(w, eve, PL_BYE_FAULT, "entry");
	}
	for (size_t count = 0; count < PL_WIRE_PREFIX; count += 11) {
		struct member *eve = live(w, CHE);
		made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof wire);
		member_frame(eve, PL_FRAME_ENTRY, 0, 1, wire, count);
		check_ended(w, eve, PL_BYE_FAULT, "cut short");
	}
	/* too long for its kind; flagged FLASH by the frame alone */
	struct member *eve = live(w, CHE);
	struct made long_key = make_entry(w, EVE, key, body, sizeof body);
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
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
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
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct member *eve = live(w, CHE);
		struct author author = { .node = EVE };
		/* the same entry, whole in its bytes, all the way: only the cutting is wrong */
		const struct made made = author_next(w, &author, 1, 0, TOTAL - PL_WIRE_PREFIX);
		uint8_t wire[TOTAL + 100] = { 0 }, piece[TOTAL + 100];
		size_t at = 0;
		made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof wire);
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
	made_wire(&made, PL_WIRE_FORM_NEXT, wire, sizeof wire);
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
		made_wire(&made, PL_WIRE_FORM_NEXT, wires[i], sizeof wires[i]);
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

/* --- equivocation --- */

Test(hostile_feed, the_same_gseq_in_two_lanes_is_proof)
{
	static const struct {
		uint8_t first_lane, second_lane;
		int first_count, second_gseq;
		bool catchup;
	} cases[] = { { 0, 1, 1, 1, false }, { 1, 0, 1, 1, false }, { 0, 1, 8, 3, false }, { 1, 2, 8, 3, false }, { 1, 2, 8, 3, true }, { 2, 1, 8, 8, true } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world *w = network();
		struct member *eve = live(w, CHE);
		struct author author = { .node = EVE };
		const uint8_t flags = cases[i].catchup ? PL_FRAME_CATCHUP : 0, lane = cases[i].second_lane;
		for (int k = 0; k < cases[i].first_count; k++) {
			const struct made made = author_next(w, &author, cases[i].first_lane, 0, 20);
			member_entry(eve, &made, flags);
		}
		member_flush(eve);
		member_run_ms(eve, 20);
		const struct pl_header h = { .lane = lane, .kind = lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, .generation = 1, .seq = 1,
			                     .gseq = (uint64_t)cases[i].second_gseq };
		const struct made second = make_entry(w, EVE, h, "x", 1);
		member_entry(eve, &second, flags);
		if (cases[i].catchup) { /* a run, in which the one that shows it is not the last */
			struct pl_header next = h;
			next.seq = 2;
			next.gseq = 100;
			memcpy(next.prev, second.id, PL_ID_BYTES);
			const struct made third = make_entry(w, EVE, next, "y", 1);
			member_entry(eve, &third, flags);
		}
		member_flush(eve);
		member_run_ms(eve, 100);
		for (uint16_t node = 0; node < 3; node++)
			cr_assert_eq(world_forks(w, node), 1, "case %zu, node %u", i, node);
		cr_assert(is_frozen(w, CHE, EVE, 0) && is_frozen(w, FIN, EVE, 1) && is_frozen(w, SGP, EVE, 2));
		cr_assert_eq(member_heard_of(eve, PL_FRAME_FORK), 1, "the author hears of it, too");
		member_free(eve);
		world_free(w);
	}
}

Test(hostile_feed, another_entry_for_a_place_that_is_filled_is_proof)
{
	/* how many entries back, of 12 */
	for (uint64_t back = 0; back < 12; back += 5) {
		struct world *w = network();
		struct member *eve = live(w, CHE);
		struct author author = { .node = EVE }, fork = author;
		struct made other = { 0 };
		struct pl_want want;
		for (uint64_t seq = 1; seq <= 12; seq++) {
			if (seq == 12 - back) {
				fork = author;
				other = author_next(w, &fork, 1, 0, 21);
			}
			const struct made made = author_next(w, &author, 1, 0, 20);
			member_entry(eve, &made, 0);
		}
		member_flush(eve);
		member_run_ms(eve, 50);
		cr_assert_eq(world_durable(w, SGP, EVE, 1), 12);
		member_entry(eve, &other, 0);
		member_flush(eve);
		member_run_ms(eve, 20);
		cr_assert(member_asked(eve, EVE, 1, &want));
		cr_assert(want.flags == PL_WANT_FULL && want.from == 12 - back);
		member_entry_full(eve, &other);
		member_flush(eve);
		member_run_ms(eve, 100);
		for (uint16_t node = 0; node < 3; node++) {
			cr_assert_eq(world_forks(w, node), 1, "%d back, node %u", (int)back, node);
			cr_assert(is_frozen(w, node, EVE, 0));
		}
		/* nothing more is taken, in any lane, of any age */
		const struct made next = author_next(w, &author, 1, 0, 20), flash = author_next(w, &author, 0, PL_FLAG_FLASH, 20),
		                  bulk = author_next(w, &author, 2, 0, 20);
		member_entry(eve, &next, 0);
		member_entry(eve, &next, PL_FRAME_CATCHUP);
		member_entry(eve, &flash, PL_FRAME_FLASH);
		member_entry(eve, &bulk, 0);
		member_flush(eve);
		member_run_ms(eve, 100);
		cr_assert(member_is_open(eve));
		cr_assert_eq(world_durable(w, CHE, EVE, 1), 12);
		cr_assert_eq(world_durable(w, CHE, EVE, 0) + world_durable(w, CHE, EVE, 2), 0);
		/* who comes up later is told */
		member_free(eve);
		eve = live(w, FIN);
		member_run_ms(eve, 10);
		member_free(eve);
		eve = greet(w, FIN);
		member_go_live(eve);
		cr_assert_eq(member_heard_of(eve, PL_FRAME_FORK), 1);
		member_free(eve);
		world_free(w);
	}
}

Test(hostile_feed, a_fork_is_proven_when_there_is_memory_to_read_the_other_branch)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE }, fork = author;
	const struct made made = author_next(w, &author, 1, 0, 20), other = author_next(w, &fork, 1, 0, 21);

	member_entry(eve, &made, 0);
	member_flush(eve);
	member_run_ms(eve, 50);
	world_store_lacks_memory(w, CHE, true);
	member_entry(eve, &other, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	member_entry_full(eve, &other);
	member_flush(eve);
	member_run_ms(eve, 2500);
	cr_assert_eq(world_forks(w, CHE), 0);
	world_store_fails(w, CHE, true); /* what was voided then is not what is compared */
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "lost", 4), PL_OK);
	member_run_ms(eve, 50);
	world_store_fails(w, CHE, false);
	world_store_lacks_memory(w, CHE, false);
	member_run_ms(eve, 1100);
	for (uint16_t node = 0; node < 3; node++)
		cr_assert_eq(world_forks(w, node), 1, "node %u", node);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, a_fork_is_noticed_before_either_branch_is_durable)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE }, fork = author;

	world_latency(w, 1, 500);
	const struct made one = author_next(w, &author, 1, 0, 20), other = author_next(w, &fork, 1, 0, 21);
	member_entry(eve, &one, 0);
	member_entry(eve, &other, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	member_entry_full(eve, &other);
	member_flush(eve);
	member_run_ms(eve, 400);
	cr_assert_eq(world_forks(w, CHE), 0);
	member_run_ms(eve, 200);
	cr_assert_eq(world_forks(w, CHE), 1);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, the_same_gseq_is_noticed_after_a_restart_too)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	const struct pl_header h = { .lane = 0, .kind = PL_KIND_MESSAGE, .generation = 1, .seq = 1, .gseq = 4 };
	const struct made same = make_entry(w, EVE, h, "x", 1);

	for (int i = 0; i < 4; i++) {
		const struct made made = author_next(w, &author, 1, 0, 20);
		member_entry(eve, &made, 0);
	}
	member_flush(eve);
	member_run_ms(eve, 20);
	member_free(eve);
	world_crash(w, CHE);
	eve = live(w, CHE);
	member_entry(eve, &same, 0);
	member_flush(eve);
	member_run_ms(eve, 50);
	cr_assert_eq(world_forks(w, CHE), 1);
	member_free(eve);
	world_free(w);
}

/* EVE shows FIN one branch and SGP the other, while they cannot compare. */
Test(hostile_feed, two_branches_shown_to_two_nodes_meet_when_they_do)
{
	static const struct {
		int common, at_fin, at_sgp;
	} cases[] = { { 0, 1, 1 }, { 3, 1, 1 }, { 10, 10, 10 }, { 10, 10, 15 }, { 10, 15, 10 }, { 5, 1, 40 }, { 5, 40, 1 }, { 0, 30, 30 } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (uint8_t lane = 1; lane < 3; lane++) {
			struct world *w = network();
			world_cut(w, FIN, CHE);
			world_cut(w, SGP, CHE);
			struct member *at_fin = live(w, FIN), *at_sgp = live(w, SGP);
			struct author author = { .node = EVE };
			for (int k = 0; k < cases[i].common; k++) {
				const struct made made = author_next(w, &author, lane, 0, 20);
				member_entry(at_fin, &made, 0);
				member_entry(at_sgp, &made, 0);
			}
			struct author fork = author;
			for (int k = 0; k < cases[i].at_fin; k++) {
				const struct made made = author_next(w, &author, lane, 0, 20);
				member_entry(at_fin, &made, 0);
			}
			for (int k = 0; k < cases[i].at_sgp; k++) {
				const struct made made = author_next(w, &fork, lane, 0, 21);
				member_entry(at_sgp, &made, 0);
			}
			member_flush(at_fin);
			member_flush(at_sgp);
			member_run_ms(at_fin, 50);
			cr_assert_eq(world_durable(w, FIN, EVE, lane), (uint64_t)(cases[i].common + cases[i].at_fin));
			cr_assert_eq(world_durable(w, SGP, EVE, lane), (uint64_t)(cases[i].common + cases[i].at_sgp));
			member_free(at_fin);
			member_free(at_sgp);
			world_heal(w, FIN, CHE);
			world_heal(w, SGP, CHE);
			world_run_ms(w, 10000);
			for (uint16_t node = 0; node < 3; node++)
				cr_assert_eq(world_forks(w, node), 1, "case %zu, lane %u: node %u knows %u forks", i, lane, node, world_forks(w, node));
			for (uint16_t node = 0; node < 3; node += 2) {
				struct pl_peer_info info;
				pl_engine_peer(world_engine(w, CHE), node, &info);
				cr_assert_eq(info.state, PL_SESSION_LIVE, "nobody is blamed for what it relays");
			}
			world_free(w);
		}
	}
}

/* Bulk is vouched for by what comes after it. So EVE signs the first entry of one branch badly: it alone proves nothing. */
Test(hostile_feed, a_branch_that_begins_with_a_bad_signature_is_proven_by_what_vouches_for_it)
{
	for (int fin_first = 0; fin_first < 2; fin_first++) {
		struct world *w = network();
		world_cut(w, FIN, CHE);
		world_cut(w, SGP, CHE);
		struct member *at_fin = live(w, FIN);
		struct author author = { .node = EVE }, fork = author;
		const struct made run[2] = { next_spoilt(w, &author, 2), author_next(w, &author, 2, 0, 20) }, other = author_next(w, &fork, 2, 0, 21);
		member_entry(at_fin, &run[0], PL_FRAME_CATCHUP);
		member_entry(at_fin, &run[1], PL_FRAME_CATCHUP);
		member_flush(at_fin);
		member_run_ms(at_fin, 20);
		cr_assert_eq(world_durable(w, FIN, EVE, 2), 0, "nobody has asked");
		member_run_ms(at_fin, 62000);
		announce(at_fin, &run[1]);
		answer(at_fin, run, 2);
		struct member *at_sgp = live(w, SGP);
		member_entry(at_sgp, &other, 0);
		member_flush(at_sgp);
		member_run_ms(at_sgp, 20);
		cr_assert_eq(world_durable(w, FIN, EVE, 2), 2);
		cr_assert_eq(world_durable(w, SGP, EVE, 2), 1);
		member_free(at_fin);
		member_free(at_sgp);
		world_heal(w, fin_first ? FIN : SGP, CHE);
		world_run_ms(w, 20000);
		world_heal(w, fin_first ? SGP : FIN, CHE);
		world_run_ms(w, 20000);
		for (uint16_t node = 0; node < 3; node++)
			cr_assert_eq(world_forks(w, node), 1, "%d: node %u", fin_first, node);
		world_free(w);
	}
}

static void put_fork(uint8_t payload[2 + 2 * PL_ENTRY_HEADER_BYTES], uint16_t node, const struct made *a, const struct made *b)
{
	pl_put16(payload, node);
	memcpy(payload + 2, a->entry_header, PL_ENTRY_HEADER_BYTES);
	memcpy(payload + 2 + PL_ENTRY_HEADER_BYTES, b->entry_header, PL_ENTRY_HEADER_BYTES);
}

Test(hostile_feed, a_fork_that_is_none_ends_the_link)
{
	struct world *w = network();
	struct author author = { .node = EVE }, fork = author, sgp = { .node = SGP };
	uint8_t payload[2 + 2 * PL_ENTRY_HEADER_BYTES];
	struct pl_header wrong = { .lane = 1, .kind = PL_KIND_MESSAGE, .generation = 1, .seq = 1, .gseq = 1, .others = { { .seq = 5 } } };
	const struct made one = author_next(w, &author, 1, 0, 20), other = author_next(w, &fork, 1, 0, 21), two = author_next(w, &author, 1, 0, 20);
	const struct made bent = spoilt(other), of_sgp = author_next(w, &sgp, 1, 0, 20), none = make_entry(w, EVE, wrong, "x", 1);
	wrong.others[0].seq = 0;
	wrong.generation = 2;
	const struct made later = make_entry(w, EVE, wrong, "x", 1);
	const struct {
		uint16_t node;
		const struct made *a, *b;
		const char *what;
	} cases[] = {
		{ EVE, &one, &one, "one entry twice" }, { EVE, &one, &two, "two places" }, { EVE, &one, &bent, "a signature that is none" },
		{ EVE, &bent, &one, "a signature that is none, first" }, { EVE, &one, &of_sgp, "two authors" },
		{ SGP, &one, &other, "another author's" }, { EVE, &one, &later, "two generations" }, { EVE, &one, &none, "no header" },
		{ EVE, &none, &one, "no header, first" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct member *eve = live(w, CHE);
		put_fork(payload, cases[i].node, cases[i].a, cases[i].b);
		member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof payload);
		check_ended(w, eve, PL_BYE_FAULT, cases[i].what);
		cr_assert_eq(world_forks(w, CHE), 0);
		cr_assert_not(is_frozen(w, CHE, EVE, 1));
		cr_assert_not(is_frozen(w, CHE, SGP, 1));
	}
	struct member *eve = live(w, CHE);
	put_fork(payload, 4, &one, &other);
	member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof payload);
	check_ended(w, eve, PL_BYE_FAULT, "of nobody");
	/* a flood of what is one */
	eve = live(w, CHE);
	put_fork(payload, EVE, &one, &other);
	for (int i = 0; i < 2000; i++)
		member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof payload);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert(member_is_open(eve));
	for (uint16_t node = 0; node < 3; node++)
		cr_assert_eq(world_forks(w, node), 1);
	struct pl_engine_counters counters;
	pl_engine_counters(world_engine(w, CHE), &counters);
	cr_assert_eq(counters.forks, 1);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, a_fork_outlives_a_restart)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE }, fork = author;
	uint8_t payload[2 + 2 * PL_ENTRY_HEADER_BYTES];
	const struct made one = author_next(w, &author, 1, 0, 20), other = author_next(w, &fork, 1, 0, 21);

	put_fork(payload, EVE, &one, &other);
	member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof payload);
	member_flush(eve);
	member_run_ms(eve, 50);
	member_free(eve);
	world_cut(w, FIN, CHE);
	world_cut(w, SGP, CHE);
	world_crash(w, CHE);
	cr_assert(is_frozen(w, CHE, EVE, 0) && is_frozen(w, CHE, EVE, 1) && is_frozen(w, CHE, EVE, 2));
	eve = greet(w, CHE);
	member_go_live(eve);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_FORK), 1);
	member_entry(eve, &one, 0);
	member_flush(eve);
	member_run_ms(eve, 50);
	cr_assert_eq(world_durable(w, CHE, EVE, 1), 0);
	cr_assert_eq(world_forks(w, CHE), 1, "it is not news");
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, what_a_forker_was_asked_for_is_not_waited_for)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE }, fork = author;
	uint8_t payload[2 + 2 * PL_ENTRY_HEADER_BYTES];
	const struct made one = author_next(w, &author, 1, 0, 20), other = author_next(w, &fork, 1, 0, 21);
	struct pl_engine_counters counters;

	member_item(eve, PL_FRAME_FRONTIER, PL_FRAME_LAST, EVE, 2, 50, NULL);
	member_flush(eve);
	member_run_ms(eve, 10);
	put_fork(payload, EVE, &one, &other);
	member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof payload);
	member_flush(eve);
	member_run_ms(eve, 10);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_WANT), 1);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_CANCEL), 1);
	member_run_ms(eve, 5000);
	pl_engine_counters(world_engine(w, CHE), &counters);
	cr_assert_eq(counters.wants_timed_out, 0);
	member_free(eve);
	world_free(w);
}

/* --- the feed of the node itself --- */

Test(hostile_feed, who_says_that_a_node_has_said_more_has_to_show_it)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = CHE };
	static const uint8_t types[] = { PL_FRAME_FRONTIER, PL_FRAME_HAVE, PL_FRAME_ACK };

	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		for (size_t i = 0; i < sizeof types; i++)
			member_item(eve, types[i], types[i] == PL_FRAME_FRONTIER ? PL_FRAME_LAST : 0, CHE, lane, i == 0 ? 1 : UINT64_MAX, NULL);
		const struct made made = spoilt(author_next(w, &author, lane, 0, 20));
		member_entry(eve, &made, 0);
		member_entry(eve, &made, PL_FRAME_CATCHUP);
		member_flush(eve);
		member_run_ms(eve, 5000);
	}
	cr_assert(member_is_open(eve));
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_SELF_BEHIND), 0);
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		cr_assert_not(is_frozen(w, CHE, CHE, lane));
		cr_assert_eq(world_submit(w, CHE, lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	}
	member_run_ms(eve, 100);
	cr_assert_eq(world_durable(w, SGP, CHE, 1), 1);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, a_node_that_is_shown_an_entry_of_its_own_that_it_lacks_authors_nothing_more)
{
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		for (int catchup = 0; catchup < 2; catchup++) {
			struct world *w = network();
			struct member *eve = live(w, CHE);
			struct author author = { .node = CHE };
			for (int i = 0; i < 3; i++) {
				const struct made made = author_next(w, &author, lane, 0, 20);
				member_entry(eve, &made, catchup ? PL_FRAME_CATCHUP : 0);
			}
			member_flush(eve);
			member_run_ms(eve, 20);
			cr_assert_eq(world_notes(w, CHE, PL_NOTE_SELF_BEHIND), 1, "lane %u, catch-up %d", lane, catchup);
			cr_assert(is_frozen(w, CHE, CHE, 0));
			cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_ERR_FORK);
			cr_assert_eq(world_durable(w, CHE, CHE, lane), 3, "what it had said comes back to it");
			member_free(eve);
			world_free(w);
		}
	}
}

/* --- asking and being asked --- */

Test(hostile_feed, who_announces_and_never_delivers_costs_three_seconds_once)
{
	struct world *w = network();
	struct member *eve = live(w, SGP);

	for (int round = 0; round < 5; round++) {
		world_cut(w, SGP, CHE);
		for (int i = 0; i < 10; i++)
			cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
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

Test(hostile_feed, who_delivers_an_entry_now_and_then_does_not_hold_a_lane_up_for_ever)
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

Test(hostile_feed, who_was_asked_and_hangs_up_leaves_the_question_to_another)
{
	struct world *w = network();
	struct member *eve = live(w, SGP);
	struct pl_want want;

	world_cut(w, SGP, CHE);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
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

Test(hostile_feed, an_answer_about_its_own_feed_does_not_make_up_for_what_is_left_unanswered)
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
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
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

Test(hostile_feed, what_became_durable_between_hello_and_frontier_is_asked_for_and_not_pushed_too)
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

Test(hostile_feed, a_store_that_gives_nothing_is_not_asked_for_ever)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
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

Test(hostile_feed, a_store_without_memory_is_asked_again_in_a_second)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
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

Test(hostile_feed, what_cannot_be_is_announced_or_asked_for_in_vain)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	for (int i = 0; i < 20; i++)
		cr_assert_eq(world_submit(w, FIN, (uint8_t)(i % 2), PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
	member_run_ms(eve, 100);
	const uint32_t loads = world_loads(w, CHE);
	static const uint64_t seqs[] = { 1u << 31, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX };
	for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
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
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 0), 10, "custody counts what is held here");
	/* the others are served meanwhile */
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	member_run_ms(eve, 50);
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 11);
	member_free(eve);
	world_free(w);
}

Test(hostile_feed, what_is_asked_for_in_full_and_not_there_is_not_looked_for)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	static const uint64_t seqs[] = { 4, (1ULL << 63) + 1, (1ULL << 63) + 3, UINT64_MAX };

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
	member_run_ms(eve, 100);
	const uint32_t loads = world_loads(w, CHE);
	for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
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

Test(hostile_feed, wants_of_no_form_end_the_link)
{
	struct world *w = network();
	static const struct {
		uint16_t node;
		uint8_t lane, flags;
		uint64_t from, to;
	} wants[] = { { 4, 0, 0, 1, 1 }, { 0xffff, 0, 0, 1, 1 }, { FIN, 3, 0, 1, 1 }, { FIN, 0, 2, 1, 1 }, { FIN, 0, 0, 0, 1 }, { FIN, 0, 0, 2, 1 },
		      { FIN, 0, 0, 1, 65537 }, { FIN, 0, PL_WANT_FULL, 1, 2 } };

	for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
		struct member *eve = live(w, CHE);
		member_want(eve, wants[i].node, wants[i].lane, wants[i].from, wants[i].to, wants[i].flags);
		check_ended(w, eve, PL_BYE_FAULT, "want");
	}
	for (int what = 0; what < 4; what++) {
		struct member *eve = live(w, CHE);
		const uint8_t lane[4] = { 0, what & 1 ? FIN : 4, what & 1 ? PL_LANES : 0 };
		member_frame(eve, what & 2 ? PL_FRAME_CANCEL : PL_FRAME_CHOKE, 0, 0, lane, sizeof lane);
		check_ended(w, eve, PL_BYE_FAULT, "cancel, choke");
	}
	world_free(w);
}

Test(hostile_feed, a_want_is_answered_in_order_replaced_and_withdrawn)
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
	member_frame(eve, PL_FRAME_CANCEL, 0, 0, cancel, sizeof cancel);
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

Test(hostile_feed, who_is_choked_announces_until_it_is_asked)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	const uint8_t lane[4] = { 0, FIN, 1 };

	member_frame(eve, PL_FRAME_CHOKE, 0, 0, lane, sizeof lane);
	member_flush(eve);
	member_run_ms(eve, 5);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
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

Test(hostile_feed, a_new_session_starts_from_nothing)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	struct pl_want want;
	const struct made bad = spoilt(author_next(w, &author, 2, 0, 20));

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, &i, sizeof i), PL_OK);
	member_run_ms(eve, 20);
	cr_assert_eq(member_copies(eve, CHE, 1, 3), 1);
	member_want(eve, CHE, 1, 4, 10, 0);
	member_item(eve, PL_FRAME_HAVE, 0, FIN, 1, 100, NULL);
	member_entry(eve, &bad, 0); /* and is not listened to about its bulk for a minute */
	const uint8_t choke[4] = { 0, SGP, 1 };
	member_frame(eve, PL_FRAME_CHOKE, 0, 0, choke, sizeof choke);
	member_flush(eve);
	member_run_ms(eve, 5);
	member_free(eve);

	eve = live(w, CHE);
	memset(&author, 0, sizeof author);
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

	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
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

/* --- claimed times --- */

Test(hostile_feed, an_entry_from_before_or_after_its_certificate_is_refused)
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

Test(hostile_feed, a_node_whose_certificate_is_not_valid_by_its_clock_signs_nothing)
{
	struct world *w = world_new(2, 1);

	world_charter(w)->nodes[CHE].certificate.valid_until_ms = world_wall(w) - 1;
	world_start(w);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_ERR_EXPIRED);
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
