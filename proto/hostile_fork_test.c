/* What one member can do to the others, and what it cannot: equivocation, and entries of a node itself that it lacks. See tests/hostile.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "crypto/bytes.h"
#include "tests/hostile.h"

/* --- equivocation --- */

Test(hostile_fork, the_same_gseq_in_two_lanes_is_proof)
{
	static const struct {
		uint8_t first_lane, second_lane;
		int first_count, second_gseq;
		bool catchup;
	} cases[] = { { 0, 1, 1, 1, false }, { 1, 0, 1, 1, false }, { 0, 1, 8, 3, false }, { 1, 2, 8, 3, false }, { 1, 2, 8, 3, true }, { 2, 1, 8, 8, true } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
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

Test(hostile_fork, another_entry_for_a_place_that_is_filled_is_proof)
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

Test(hostile_fork, a_fork_is_proven_when_there_is_memory_to_read_the_other_branch)
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

Test(hostile_fork, a_fork_is_noticed_before_either_branch_is_durable)
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

Test(hostile_fork, the_same_gseq_is_noticed_after_a_restart_too)
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
Test(hostile_fork, two_branches_shown_to_two_nodes_meet_when_they_do)
{
	static const struct {
		int common, at_fin, at_sgp;
	} cases[] = { { 0, 1, 1 }, { 3, 1, 1 }, { 10, 10, 10 }, { 10, 10, 15 }, { 10, 15, 10 }, { 5, 1, 40 }, { 5, 40, 1 }, { 0, 30, 30 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
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
Test(hostile_fork, a_branch_that_begins_with_a_bad_signature_is_proven_by_what_vouches_for_it)
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

/* --- many heads that differ at once --- */

enum { MEET_FIRST = 2, MEET_MAX = 24 }; /* nodes 0 and 1 meet; the test plays the others */

static struct world *before_they_meet(void)
{
	struct world *w = world_new(MEET_FIRST + MEET_MAX, 1);

	for (uint16_t i = MEET_FIRST; i < MEET_FIRST + MEET_MAX; i++)
		world_play(w, i);
	world_link(w, 0, 1);
	world_start(w);
	world_run_ms(w, 100);
	world_cut(w, 0, 1);
	world_run_ms(w, 100);
	return w;
}

static void show(struct world *w, uint16_t as, uint16_t to, const struct made *entries, size_t count, bool asked)
{
	struct member *m = member_dial(w, as, to);

	cr_assert_not_null(m);
	member_go_live(m);
	if (asked) {
		announce(m, &entries[count - 1]);
		answer(m, entries, count);
	} else {
		for (size_t i = 0; i < count; i++)
			member_entry(m, &entries[i], 0);
		member_flush(m);
	}
	member_run_ms(m, 50);
	member_free(m);
	world_run_ms(w, 50);
}

/* One entry for one place to each of the two, and more behind it to the second; then silence. */
static void forks_once(struct world *w, uint16_t node, size_t more)
{
	struct author author = { .node = node }, fork = author;
	const struct made one = author_next(w, &author, 0, 0, 20);
	struct made others[3];

	show(w, node, 0, &one, 1, false);
	for (size_t i = 0; i <= more; i++)
		others[i] = author_next(w, &fork, 0, 0, 30);
	show(w, node, 1, others, more + 1, false);
}

/* What PROTOCOL.md says that no two headers prove: one branch goes on past a run that is badly signed where the other ends. */
static void differs_without_proof(struct world *w, uint16_t node)
{
	struct author author = { .node = node }, fork;
	struct made ahead[10], back[5];

	for (int i = 0; i < 4; i++)
		ahead[i] = back[i] = author_next(w, &author, 2, 0, 20);
	fork = author;
	back[4] = author_next(w, &fork, 2, 0, 40);
	for (int i = 4; i < 8; i++)
		ahead[i] = next_spoilt(w, &author, 2);
	for (int i = 8; i < 10; i++)
		ahead[i] = author_next(w, &author, 2, 0, 20);
	show(w, node, node % 2, ahead, 10, true);
	show(w, node, (node + 1) % 2, back, 5, true);
	cr_assert_eq(world_durable(w, node % 2, node, 2), 10);
	cr_assert_eq(world_durable(w, (node + 1) % 2, node, 2), 5);
}

Test(hostile_fork, all_forks_are_proven_when_two_nodes_meet)
{
	for (size_t more = 0; more < 3; more++) {
		struct world *w = before_they_meet();
		for (uint16_t i = 0; i < MEET_MAX; i++)
			forks_once(w, MEET_FIRST + i, more);
		world_heal(w, 0, 1);
		world_run_ms(w, 5000); /* of which up to 1.5 s until the link is up */
		for (uint16_t node = 0; node < 2; node++) {
			cr_assert_eq(world_forks(w, node), MEET_MAX, "%zu more: %u", more, world_forks(w, node));
			cr_assert_eq(world_notes(w, node, PL_NOTE_PEER_FAULT), 0, "%zu more: who relays them is not at fault", more);
		}
		world_free(w);
	}
}

Test(hostile_fork, what_cannot_be_proven_keeps_nothing_from_being_looked_at)
{
	struct world *w = before_they_meet();

	forks_once(w, MEET_FIRST, 0);
	for (uint16_t i = 1; i <= 12; i++)
		differs_without_proof(w, MEET_FIRST + i);
	world_heal(w, 0, 1);
	world_run_ms(w, 5000);
	cr_assert_eq(world_forks(w, 0), 1);
	cr_assert_eq(world_forks(w, 1), 1);
	world_free(w);
}

static bool asked_in_full(struct member *m, uint16_t node, uint8_t lane, uint64_t seq)
{
	for (size_t i = 0; i < member_heard_count(m); i++) {
		const struct member_heard *h = member_heard(m, i);
		struct pl_want want;
		if (h->type == PL_FRAME_WANT && pl_want_read(h->payload, &want) == PL_OK && (want.flags & PL_WANT_FULL) && want.node == node &&
		    want.lane == lane && want.from == seq)
			return true;
	}
	return false;
}

Test(hostile_fork, a_head_that_proves_nothing_is_asked_for_once)
{
	struct world *w = before_they_meet();
	struct author author = { .node = MEET_FIRST }, fork;
	struct made run[10], other;

	for (int i = 0; i < 4; i++)
		run[i] = author_next(w, &author, 2, 0, 20);
	fork = author;
	other = author_next(w, &fork, 2, 0, 40);
	for (int i = 4; i < 8; i++)
		run[i] = next_spoilt(w, &author, 2);
	for (int i = 8; i < 10; i++)
		run[i] = author_next(w, &author, 2, 0, 20);
	show(w, MEET_FIRST, 0, run, 10, true);
	struct member *m = member_dial(w, MEET_FIRST + 1, 0);
	member_go_live(m);
	for (int round = 0; round < 3; round++) {
		member_forget(m);
		member_item(m, PL_FRAME_HAVE, 0, MEET_FIRST, 2, 5, other.id);
		member_flush(m);
		member_run_ms(m, 20);
		cr_assert_eq(asked_in_full(m, MEET_FIRST, 2, 5), round == 0, "round %d", round);
		if (round == 0)
			member_entry_full(m, &other);
		member_flush(m);
		member_run_ms(m, 35000);
	}
	cr_assert_eq(world_forks(w, 0), 0);
	member_free(m);
	world_free(w);
}

Test(hostile_fork, heads_that_differ_are_asked_for_in_turn_messages_first)
{
	struct world *w = before_they_meet();
	const uint8_t none[PL_ID_BYTES] = "another head";
	int asked[2] = { 0 };

	/* each author has said something in lane 2, the last two in lane 1 too */
	for (uint16_t i = 0; i < 12; i++) {
		struct author author = { .node = MEET_FIRST + i };
		const struct made bulk = author_next(w, &author, 2, 0, 20), message = author_next(w, &author, 1, 0, 20);
		const struct made both[2] = { bulk, message };
		show(w, MEET_FIRST + i, 0, both, i < 10 ? 1 : 2, false);
	}
	struct member *m = member_dial(w, MEET_FIRST + 20, 0);
	member_go_live(m);
	member_forget(m);
	for (uint16_t i = 0; i < 12; i++)
		member_item(m, PL_FRAME_HAVE, 0, MEET_FIRST + i, 2, 1, none);
	for (uint16_t i = 10; i < 12; i++)
		member_item(m, PL_FRAME_HAVE, 0, MEET_FIRST + i, 1, 1, none);
	member_flush(m);
	for (int round = 0; round < 2; round++) {
		member_run_ms(m, round == 0 ? 29000 : 12000); /* it answers nothing */
		cr_assert(asked_in_full(m, MEET_FIRST + 10, 1, 1) && asked_in_full(m, MEET_FIRST + 11, 1, 1));
		for (uint16_t i = 0; i < 12; i++)
			asked[round] += asked_in_full(m, MEET_FIRST + i, 2, 1);
	}
	cr_assert_eq(asked[0], PL_FULL_WANTS_MAX - 2, "%d", asked[0]);
	cr_assert_eq(asked[1], 12, "it goes on with the others, %d", asked[1]);
	member_free(m);
	world_free(w);
}

/* Asked for: in full. */
Test(hostile_fork, who_asks_for_several_entries_is_given_eight)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	for (int i = 0; i < 12; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	member_run_ms(eve, 100);
	const uint32_t loads = world_loads(w, CHE);
	for (uint64_t seq = 1; seq <= 12; seq++) {
		member_want(eve, FIN, 1, seq, seq, PL_WANT_FULL);
		member_want(eve, FIN, 1, seq, seq, PL_WANT_FULL);
	}
	member_forget(eve);
	member_flush(eve);
	member_run_ms(eve, 100);
	for (uint64_t seq = 1; seq <= 12; seq++)
		cr_assert_eq(member_copies(eve, FIN, 1, seq), seq > 4 ? 1 : 0, "entry %d", (int)seq);
	cr_assert_eq(world_loads(w, CHE), loads + PL_FULL_WANTS_MAX);
	member_free(eve);
	world_free(w);
}

static void put_fork(uint8_t payload[2 + 2 * PL_ENTRY_HEADER_BYTES], uint16_t node, const struct made *a, const struct made *b)
{
	pl_put16(payload, node);
	memcpy(payload + 2, a->entry_header, PL_ENTRY_HEADER_BYTES);
	memcpy(payload + 2 + PL_ENTRY_HEADER_BYTES, b->entry_header, PL_ENTRY_HEADER_BYTES);
}

Test(hostile_fork, a_fork_that_is_none_ends_the_link)
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
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct member *eve = live(w, CHE);
		put_fork(payload, cases[i].node, cases[i].a, cases[i].b);
		member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof(payload));
		check_ended(w, eve, PL_BYE_FAULT, cases[i].what);
		cr_assert_eq(world_forks(w, CHE), 0);
		cr_assert_not(is_frozen(w, CHE, EVE, 1));
		cr_assert_not(is_frozen(w, CHE, SGP, 1));
	}
	struct member *eve = live(w, CHE);
	put_fork(payload, 4, &one, &other);
	member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof(payload));
	check_ended(w, eve, PL_BYE_FAULT, "of nobody");
	/* a flood of what is one */
	eve = live(w, CHE);
	put_fork(payload, EVE, &one, &other);
	for (int i = 0; i < 2000; i++)
		member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof(payload));
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

Test(hostile_fork, a_fork_outlives_a_restart)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE }, fork = author;
	uint8_t payload[2 + 2 * PL_ENTRY_HEADER_BYTES];
	const struct made one = author_next(w, &author, 1, 0, 20), other = author_next(w, &fork, 1, 0, 21);

	put_fork(payload, EVE, &one, &other);
	member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof(payload));
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

Test(hostile_fork, what_a_forker_was_asked_for_is_not_waited_for)
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
	member_frame(eve, PL_FRAME_FORK, 0, 0, payload, sizeof(payload));
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

Test(hostile_fork, who_says_that_a_node_has_said_more_has_to_show_it)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = CHE };
	static const uint8_t types[] = { PL_FRAME_FRONTIER, PL_FRAME_HAVE, PL_FRAME_ACK };

	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		for (size_t i = 0; i < sizeof(types); i++)
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

Test(hostile_fork, a_node_that_is_shown_an_entry_of_its_own_that_it_lacks_authors_nothing_more)
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
