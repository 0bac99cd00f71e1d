/* Links that others have chosen. Stories in a small world (tests/world.h). */
#include "tests/neighbours.h"

/* Nodes from 1 on dial node 0, which takes four; three nodes to a member from node 31 on. */
static struct world *door(uint64_t seed)
{
	struct world *w = network(60, seed);

	world_config(w, 0)->inbound_max = 4;
	for (uint16_t node = 31; node < 60; node++) {
		const uint16_t first = (uint16_t)(31 + (node - 31) / 3 * 3);
		world_charter(w)->nodes[node].member = first;
	}
	world_start(w);
	return w;
}

Test(inbound, of_those_that_come_in_one_of_the_younger_half_gives_way_in_turn)
{
	struct world *w = door(1);
	uint16_t in = 0;

	for (uint16_t node = 1; node <= 4; node++) {
		world_link(w, node, 0);
		world_run_ms(w, 100);
		cr_assert(is_live(w, 0, node) && peer(w, 0, node).role == PL_PEER_INBOUND);
	}
	world_link(w, 5, 0);
	world_run_ms(w, 20000);
	cr_assert_neq(peer(w, 0, 5).state, PL_SESSION_LIVE, "nobody has had its minute");
	world_run_ms(w, 50000);
	cr_assert(is_live(w, 0, 5));
	cr_assert(is_live(w, 0, 1) && is_live(w, 0, 2), "the older half stays");
	cr_assert_eq(live_links(w, 60, 0), 4);
	const uint16_t gone = is_live(w, 0, 3) ? 4 : 3;
	cr_assert_not(is_live(w, 0, gone));
	/* once an hour for each: places do not change hands all the time */
	world_run_ms(w, 55 * MINUTE_MS);
	cr_assert_leq(world_notes(w, 0, PL_NOTE_LINK_LIVE), 4 + 3);
	for (int minute = 0; minute < 130; minute++) {
		world_run_ms(w, MINUTE_MS);
		in += is_live(w, 0, gone);
		cr_assert_leq(live_links(w, 60, 0), 4);
		cr_assert(is_live(w, 0, 1) && is_live(w, 0, 2), "also over the hourly handshake");
	}
	cr_assert_gt(in, 0);
	world_free(w);
}

Test(inbound, a_member_that_has_two_places_more_gives_one_to_who_has_none)
{
	struct world *w = door(2);

	for (uint16_t node = 31; node <= 33; node++)
		world_link(w, node, 0);
	world_run_ms(w, 100);
	world_link(w, 1, 0);
	world_run_ms(w, 100);
	cr_assert_eq(live_links(w, 60, 0), 4);
	world_link(w, 2, 0);
	world_run_ms(w, 100);
	cr_assert(is_live(w, 0, 1) && is_live(w, 0, 2), "at once");
	cr_assert_eq(is_live(w, 0, 31) + is_live(w, 0, 32) + is_live(w, 0, 33), 2);
	world_free(w);
}

Test(inbound, whom_the_node_has_named_or_chosen_needs_no_place_at_the_door)
{
	struct world *w = network(60, 3);

	world_config(w, 0)->inbound_max = 4;
	world_name(w, 0, 9);
	world_start(w);
	for (uint16_t node = 1; node <= 3; node++)
		world_link(w, node, 0);
	world_link(w, 10, 0);
	world_run_ms(w, 100);
	cr_assert_eq(peer(w, 0, 10).role, PL_PEER_INBOUND);
	world_link(w, 0, 10);
	world_run_ms(w, 100);
	cr_assert(is_chosen(w, 0, 10) && peer(w, 0, 10).inbound, "one link serves both");
	world_link(w, 4, 0);
	world_run_ms(w, 100);
	world_link(w, 9, 0); /* it has no address; that it is named suffices */
	world_run_ms(w, 100);
	cr_assert(is_live(w, 0, 9) && is_live(w, 0, 10));
	cr_assert_eq(peer(w, 0, 9).role, PL_PEER_CONFIGURED);
	cr_assert_eq(count_role(w, 60, 0, PL_PEER_INBOUND, true), 4);
	/* and is there for good, whoever comes */
	for (uint16_t node = 11; node < 30; node++)
		world_link(w, node, 0);
	world_run_ms(w, 10 * MINUTE_MS);
	cr_assert(is_live(w, 0, 9) && is_live(w, 0, 10));
	cr_assert_eq(count_role(w, 60, 0, PL_PEER_INBOUND, true), 4);
	world_free(w);
}

/* Sixteen members that dial all the time, and were there first. */
Test(inbound, a_crowd_at_the_door_keeps_nobody_out)
{
	struct world *w = door(4);
	int seconds = 0;

	for (uint16_t node = 1; node <= 16; node++)
		world_link(w, node, 0);
	world_run_ms(w, 10 * MINUTE_MS);
	cr_assert_eq(world_submit(w, 0, 1, PL_KIND_MESSAGE, 0, "for all", 7), PL_OK);
	world_link(w, 40, 0);
	for (; seconds < 900 && world_durable(w, 40, 0, 1) == 0; seconds++) {
		world_run_ms(w, 1000);
		cr_assert_leq(live_links(w, 60, 0), 4);
	}
	cr_assert_eq(world_durable(w, 40, 0, 1), 1, "within a quarter of an hour");
	world_free(w);
}

/* A node with few links keeps some for its own choice, whoever fills the rest. */
Test(inbound, the_door_leaves_room_for_the_nodes_own_choice)
{
	struct world *w = network(60, 5);
	uint16_t list[60];

	world_config(w, 0)->links_max = 8;
	for (uint16_t node = 1; node <= 20; node++)
		world_link(w, node, 0);
	world_start(w);
	world_run_ms(w, 5000);
	for (uint16_t node = 30; node < 60; node++)
		world_link(w, 0, node);
	world_run_ms(w, 5000);
	cr_assert_eq(chosen_of(w, 60, 0, list), 4);
	for (int i = 0; i < 4; i++)
		cr_assert(is_live(w, 0, list[i]));
	cr_assert_eq(count_role(w, 60, 0, PL_PEER_INBOUND, true), 3);
	world_free(w);
}
