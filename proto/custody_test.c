/* What a node knows of what others hold: `held` is what an operator reads, and what decides how soon a peer is dialled again. Stories as in
 * engine_test.c. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/world.h"

enum { FIN, CHE, SGP, NODES };

/* Everybody dials everybody of a higher index. */
static struct world *mesh(uint64_t seed, uint64_t latency_ms, uint64_t commit_ms)
{
	struct world *w = world_new(NODES, seed);

	world_latency(w, latency_ms, commit_ms);
	world_mesh(w, 0, NODES);
	return w;
}

static void say(struct world *w, uint16_t node, uint8_t lane, int count)
{
	for (int i = 0; i < count; i++)
		cr_assert_eq(world_submit(w, node, lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, "text", 4), PL_OK);
}

static uint64_t held(struct world *w, uint16_t node, uint16_t peer)
{
	struct pl_peer_info info;

	pl_engine_peer(world_engine(w, node), peer, &info);
	return info.held_entries;
}

static bool is_neighbour(struct world *w, uint16_t node, uint16_t peer)
{
	struct pl_peer_info info;

	pl_engine_peer(world_engine(w, node), peer, &info);
	return info.neighbour;
}

static void check_nothing_is_held(struct world *w, const char *what, unsigned x, unsigned y, unsigned z)
{
	for (uint16_t a = 0; a < NODES; a++) {
		for (uint16_t b = 0; b < NODES; b++) {
			if (a != b)
				cr_assert_eq(held(w, a, b), 0, "%s (%u, %u, %u): node %u holds %d for node %u", what, x, y, z, a, (int)held(w, a, b), b);
		}
	}
}

/* Each signs something at its start, as a daemon does with its epoch key, while links come up and others' entries come in: acknowledgements come
 * before what they acknowledge. */
Test(custody, nodes_that_start_at_once_and_are_at_rest_hold_nothing_for_each_other)
{
	const unsigned seeds = getenv("PARLEY_TEST_SHORT") ? 4 : 20;

	for (unsigned seed = 1; seed <= seeds; seed++) {
		for (unsigned latency = 0; latency <= 4; latency++) {
			for (unsigned commit = 1; commit <= 9; commit += 4) {
				struct world *w = mesh(seed, latency, commit);
				world_start(w);
				for (unsigned i = 0; i < 6; i++) {
					say(w, (uint16_t)((seed + i) % NODES), (uint8_t)(i % PL_LANES), 1 + (int)((seed + i) % 4));
					world_run_ms(w, (seed * 7 + i * 3) % 5);
				}
				cr_assert(world_converges(w, 5000));
				world_run_ms(w, 100); /* less than the 10 s until PING compares roots */
				check_nothing_is_held(w, "seed, latency, commit", seed, latency, commit);
				world_free(w);
			}
		}
	}
}

/* Overlapping feeds: each knows part of what the others have said, and all start again at one moment. */
Test(custody, nodes_that_start_at_once_with_feeds_that_overlap_hold_nothing_for_each_other_in_the_end)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct world *w = mesh(seed, seed % 3, 1 + seed % 7);
		world_start(w);
		world_run_ms(w, 3000);
		for (uint16_t node = 0; node < NODES; node++)
			say(w, node, (uint8_t)((seed + node) % PL_LANES), 3);
		world_run_ms(w, seed % 4);
		for (uint16_t a = 0; a < NODES; a++) {
			for (uint16_t b = (uint16_t)(a + 1); b < NODES; b++) {
				if ((seed >> (a + b) & 1) != 0)
					world_cut(w, a, b);
			}
		}
		for (uint16_t node = 0; node < NODES; node++)
			say(w, node, (uint8_t)((seed + node + 1) % PL_LANES), 2);
		world_run_ms(w, 20);
		for (uint16_t a = 0; a < NODES; a++) {
			world_crash(w, a);
			for (uint16_t b = 0; b < NODES; b++)
				world_heal(w, a, b);
		}
		for (uint16_t node = 0; node < NODES; node++) {
			say(w, node, 0, 1);
			world_run_ms(w, seed % 3);
		}
		cr_assert(world_converges(w, 8000));
		world_run_ms(w, 100);
		check_nothing_is_held(w, "seed", seed, 0, 0);
		world_free(w);
	}
}

/* FIN and SGP dial CHE. Nobody else is told what somebody who comes through others has got: to count it would raise an alarm that nothing ends. */
Test(custody, of_a_node_linked_in_an_earlier_life_alone_nothing_is_said_to_be_held)
{
	struct world *w = world_new(NODES, 1);

	world_link(w, FIN, CHE);
	world_link(w, SGP, CHE);
	world_start(w);
	world_run_ms(w, 100);
	cr_assert(is_neighbour(w, FIN, CHE) && is_neighbour(w, CHE, FIN));
	cr_assert_not(is_neighbour(w, FIN, SGP));
	say(w, SGP, 1, 2);
	world_run_ms(w, 100);
	cr_assert_eq(held(w, FIN, SGP), 0);
	world_cut(w, FIN, CHE);
	say(w, SGP, 1, 3);
	world_run_ms(w, 100);
	cr_assert_eq(held(w, CHE, FIN), 3, "it was linked, and is to have these");
	cr_assert(is_neighbour(w, CHE, FIN));

	world_crash(w, CHE);
	world_run_ms(w, 10);
	cr_assert_not(is_neighbour(w, CHE, FIN));
	cr_assert_eq(held(w, CHE, FIN), 0, "by whom it comes now is not known");
	world_crash(w, FIN);
	say(w, FIN, 1, 1);
	world_run_ms(w, 100);
	cr_assert(is_neighbour(w, FIN, CHE), "it is dialled");
	cr_assert_eq(held(w, FIN, CHE), 1);

	world_heal(w, FIN, CHE);
	cr_assert(world_converges(w, 10000));
	world_run_ms(w, 100);
	cr_assert(is_neighbour(w, CHE, FIN));
	check_nothing_is_held(w, "all linked", 0, 0, 0);
	say(w, SGP, 1, 1);
	cr_assert(world_converges(w, 1000));
	world_run_ms(w, 100);
	check_nothing_is_held(w, "what was acknowledged in the earlier life is known still", 0, 0, 0);
	world_free(w);
}
