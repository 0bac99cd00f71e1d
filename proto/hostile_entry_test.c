/* What one member can do to the others, and what it cannot: entries that are not authentic. See tests/hostile.h. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "crypto/labels.h"
#include "proto/state.h"
#include "tests/hostile.h"

/* --- what is not authentic --- */

Test(hostile_entry, a_run_of_entries_that_nobody_has_signed_is_not_taken)
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

Test(hostile_entry, each_entry_of_lanes_0_and_1_is_signed_and_bulk_may_be_vouched_for)
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

Test(hostile_entry, a_verdict_on_signatures_is_for_those_that_were_asked_about)
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
Test(hostile_entry, bulk_that_does_not_check_out_is_not_asked_for_again_for_a_minute_and_costs_no_link)
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

Test(hostile_entry, an_entry_on_another_branch_makes_a_node_ask_for_what_is_before_it)
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
			made_wire(&two, PL_WIRE_FORM_NEXT, wire, sizeof(wire));
			wire[136 + 31] ^= 1; /* the last byte of prev */
			member_frame(eve, PL_FRAME_ENTRY, catchup ? PL_FRAME_CATCHUP : 0, lane, wire, sizeof(wire));
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

Test(hostile_entry, gseq_does_not_go_back_nor_stand_still)
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

/* Nor in bulk that answers a WANT, where the last of a run vouches for the rest. */
Test(hostile_entry, gseq_does_not_go_back_within_a_run)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct pl_header h = { .lane = 2, .kind = PL_KIND_INDICATORS, .generation = 1 };
	static const uint64_t gseqs[] = { 50, 51, 51, 60 };
	struct made run[4];

	for (size_t i = 0; i < 4; i++) {
		h.seq = i + 1;
		h.gseq = gseqs[i];
		run[i] = make_entry(w, EVE, h, "x", 1);
		memcpy(h.prev, run[i].id, PL_ID_BYTES);
	}
	announce(eve, &run[3]);
	check_asked(eve, &run[3], 1);
	answer(eve, run, 4);
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 2);
	member_free(eve);
	world_free(w);
}

Test(hostile_entry, headers_that_no_author_may_sign_are_refused_although_one_has)
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
				memset(next.others, 0, sizeof(next.others));
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

Test(hostile_entry, sixteen_entries_that_do_not_check_out_are_borne_and_not_more_by_reconnecting)
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

Test(hostile_entry, what_is_refused_is_asked_of_another_at_once)
{
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		struct world *w = network();
		struct member *eve = live(w, SGP);
		struct author author = { .node = FIN };
		struct pl_want want = { 0 };
		const struct made garbage = spoilt(author_next(w, &author, lane, 0, 20));
		world_cut(w, SGP, CHE);
		for (int i = 0; i < 5; i++)
			cr_assert_eq(world_submit(w, FIN, lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
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

Test(hostile_entry, garbage_in_an_authors_name_does_not_use_up_its_quota)
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

Test(hostile_entry, a_run_of_bulk_counts_against_its_authors_quota)
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

Test(hostile_entry, runs_that_come_to_nothing_leave_nothing_behind)
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

/* Each entry of it is tried twice, as the head of a run and by itself. */
Test(hostile_entry, a_run_that_comes_to_nothing_holds_nothing_else_up)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };
	struct made run[60];

	for (size_t i = 0; i < 59; i++)
		run[i] = author_next(w, &author, 2, 0, 20);
	run[59] = next_spoilt(w, &author, 2);
	announce(eve, &run[59]);
	check_asked(eve, &run[59], 1);
	answer(eve, run, 60);
	cr_assert_eq(world_durable(w, CHE, EVE, 2), 59);
	cr_assert_geq(world_tick_verified(w, CHE), PL_VERIFY_SLICE);
	cr_assert_leq(world_tick_verified(w, CHE), PL_VERIFY_SLICE + 1);
	member_free(eve);
	world_free(w);
}

Test(hostile_entry, entries_in_full_are_looked_at_only_when_they_were_asked_for)
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
	memset(&author, 0, sizeof(author));
	author.node = EVE;
	for (int i = 0; i < 20; i++) {
		made[i] = author_next(w, &author, 1, 0, 20);
		member_entry(eve, &made[i], 0);
	}
	uint8_t wire[PL_WIRE_PREFIX + 20];
	const struct made next = author_next(w, &author, 1, 0, 20);
	made_wire(&next, PL_WIRE_FORM_NEXT, wire, sizeof(wire));
	wire[136] ^= 1; /* does not continue: number 20 is asked for in full */
	member_frame(eve, PL_FRAME_ENTRY, 0, 1, wire, sizeof(wire));
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
Test(hostile_entry, heads_are_compared_whole)
{
	static const uint8_t types[] = { PL_FRAME_FRONTIER, PL_FRAME_HAVE, PL_FRAME_ACK };

	for (size_t type = 0; type < sizeof(types); type++) {
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
		memcpy(head, one.id, sizeof(head));
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
	uint8_t hash[64], k[32], signed_bytes[sizeof(PL_LABEL_ENTRY) + PL_ID_BYTES + PL_HEADER_BYTES], *signature = made->entry_header + PL_HEADER_BYTES;
	const uint8_t *secret = world_config(w, made->node)->sign_secret;
	crypto_hash_sha512_state state;

	memcpy(signed_bytes, PL_LABEL_ENTRY, sizeof(PL_LABEL_ENTRY));
	memcpy(signed_bytes + sizeof(PL_LABEL_ENTRY), world_charter(w)->network_id, PL_ID_BYTES);
	memcpy(signed_bytes + sizeof(PL_LABEL_ENTRY) + PL_ID_BYTES, made->entry_header, PL_HEADER_BYTES);
	cr_assert_eq(crypto_scalarmult_ed25519_base_noclamp(signature, nonce), 0);
	crypto_hash_sha512_init(&state);
	crypto_hash_sha512_update(&state, signature, 32);
	crypto_hash_sha512_update(&state, secret + 32, 32);
	crypto_hash_sha512_update(&state, signed_bytes, sizeof(signed_bytes));
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

Test(hostile_entry, signatures_that_begin_alike_are_told_apart)
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
Test(hostile_entry, who_answers_with_another_entry_blinds_nobody)
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
Test(hostile_entry, what_one_peer_makes_a_node_compare_keeps_nothing_of_anothers_out)
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
