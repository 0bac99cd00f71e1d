/* Neighbours: with whom there are links where there are too many for links with all. Stories in a small world (tests/world.h). */
#include "tests/neighbours.h"

Test(neighbour, up_to_32_nodes_all_are_linked_with_all)
{
	struct world *w = open_network(32, 1);

	world_start(w);
	world_run_ms(w, 5000);
	for (uint16_t node = 0; node < 32; node++) {
		cr_assert_eq(live_links(w, 32, node), 31);
		cr_assert_eq(count_role(w, 32, node, PL_PEER_MESH, true), 31);
	}
	world_free(w);
}

/* How often, or how long: in the short form less. */
static unsigned few(unsigned whole, unsigned in_short)
{
	return getenv("PARLEY_TEST_SHORT") ? in_short : whole;
}

Test(neighbour, of_40_nodes_each_chooses_8)
{
	struct world *w = open_network(40, 2), *again = open_network(40, 2);
	uint16_t list[40], links = 0;
	bool first[40] = { false };

	world_start(w);
	world_run_ms(w, 5000);
	for (uint16_t node = 0; node < 40; node++) {
		cr_assert_eq(count_role(w, 40, node, PL_PEER_CHOSEN, true), 8);
		links = (uint16_t)(links + live_links(w, 40, node));
		cr_assert_eq(chosen_of(w, 40, node, list), 8);
		first[list[0]] = true;
		for (uint16_t other = 0; other < 40; other++) { /* one link for two, whoever has chosen whom */
			if (node != other && (is_chosen(w, node, other) || is_chosen(w, other, node)))
				cr_assert(is_live(w, node, other));
		}
	}
	cr_assert(links >= 40 * 13 && links <= 40 * 16, "%d", links);
	/* not the same for all; and the same seeds, the same choice */
	cr_assert_gt(first[0] + first[1] + first[2] + first[3] + first[4] + first[5] + first[6] + first[7] + first[8], 4);
	world_start(again);
	world_run_ms(again, 5000);
	for (uint16_t node = 0; node < 40; node++) {
		for (uint16_t other = 0; other < 40; other++)
			cr_assert(node == other || is_chosen(w, node, other) == is_chosen(again, node, other));
	}
	/* nobody is dropped in the course of things */
	world_run_ms(w, few(30, 10) * MINUTE_MS);
	for (uint16_t node = 0; node < 40; node++) {
		for (uint16_t other = 0; other < 40; other++)
			cr_assert(node == other || is_chosen(w, node, other) == is_chosen(again, node, other));
	}
	world_free(w);
	world_free(again);
}

/* 16 members with 3 nodes each, in 6 groups. */
static struct world *blocs(uint64_t seed, uint16_t members)
{
	struct world *w = network(48, seed);

	for (uint16_t node = 0; node < 48; node++) {
		const uint16_t member = node % members;
		world_charter(w)->nodes[node].member = member;
		world_charter(w)->members[member].first_node = member;
		world_group(w, node, node / 8);
	}
	world_link_all(w);
	return w;
}

Test(neighbour, a_third_at_most_is_of_one_group_and_nobody_of_the_same_member)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world *w = blocs(seed, 16);
		world_start(w);
		world_run_ms(w, 5000);
		for (uint16_t node = 0; node < 48; node++) {
			uint16_t list[48], of_group[6] = { 0 }, of_member[16] = { 0 };
			cr_assert_eq(chosen_of(w, 48, node, list), 8);
			for (uint16_t i = 0; i < 8; i++) {
				cr_assert_leq(++of_group[list[i] / 8], 2, "seed %d: a third of 8", (int)seed);
				cr_assert_leq(++of_member[list[i] % 16], 1);
			}
		}
		world_free(w);
	}
	/* where there are not so many, others are better than none */
	struct world *w = blocs(6, 4);
	world_start(w);
	world_run_ms(w, 5000);
	for (uint16_t node = 0; node < 48; node++)
		cr_assert_eq(count_role(w, 48, node, PL_PEER_CHOSEN, true), 8);
	world_free(w);
}

Test(neighbour, who_is_named_is_dialled_besides_the_eight_and_kept)
{
	struct world *w = network(40, 3);
	uint16_t list[40];

	for (uint16_t node = 1; node <= 12; node++) {
		world_name(w, 0, node);
		world_group(w, node, 7); /* diversity is for what the node chooses */
	}
	world_link_all(w);
	world_start(w);
	world_run_ms(w, 5000);
	cr_assert_eq(count_role(w, 40, 0, PL_PEER_CONFIGURED, true), 12);
	cr_assert_eq(chosen_of(w, 40, 0, list), 8);
	for (uint16_t i = 0; i < 8; i++)
		cr_assert_gt(list[i], 12);
	/* however long it is away, nobody has its place */
	world_stop(w, 5);
	world_run_ms(w, 20 * MINUTE_MS);
	cr_assert_eq(peer(w, 0, 5).state == PL_SESSION_BACKOFF || peer(w, 0, 5).state == PL_SESSION_DIAL, true);
	world_crash(w, 5);
	world_run_ms(w, PL_BACKOFF_MS_MAX + 5000);
	cr_assert(is_live(w, 0, 5));
	cr_assert_eq(peer(w, 0, 5).role, PL_PEER_CONFIGURED);
	world_free(w);
}

Test(neighbour, who_cannot_be_reached_gives_its_place_and_is_tried_again_later)
{
	struct world *w = network(40, 4);
	uint16_t before[40], now[40];
	bool tried = false;

	for (uint16_t node = 1; node < 40; node++)
		world_link(w, 0, node); /* the others dial nobody */
	world_start(w);
	world_run_ms(w, 5000);
	chosen_of(w, 40, 0, before);
	for (int i = 0; i < 3; i++)
		world_stop(w, before[i]);
	world_run_ms(w, MINUTE_MS);
	cr_assert_eq(chosen_of(w, 40, 0, now), 8);
	for (int i = 0; i < 8; i++) {
		cr_assert(is_live(w, 0, now[i]));
		for (int k = 0; k < 3; k++)
			cr_assert_neq(now[i], before[k]);
	}
	for (int i = 3; i < 8; i++)
		cr_assert(is_chosen(w, 0, before[i]), "only who is away is replaced");
	world_crash(w, before[0]);
	for (int minute = 0; minute < 60 && !tried; minute++) {
		for (int s = 0; s < 12 && !tried; s++) {
			world_run_ms(w, 5000);
			tried = is_live(w, 0, before[0]);
		}
	}
	cr_assert(tried);
	world_free(w);
}

Test(neighbour, nobody_is_given_up_whose_place_nobody_could_take)
{
	struct world *w = network(40, 5);
	uint16_t list[40];

	for (uint16_t node = 1; node <= 3; node++)
		world_link(w, 0, node);
	world_start(w);
	world_run_ms(w, 5000);
	cr_assert_eq(chosen_of(w, 40, 0, list), 3);
	for (uint16_t node = 1; node <= 3; node++)
		world_cut(w, 0, node);
	world_run_ms(w, 10 * MINUTE_MS);
	cr_assert_eq(chosen_of(w, 40, 0, list), 3);
	for (uint16_t node = 1; node <= 3; node++)
		world_heal(w, 0, node);
	world_run_ms(w, PL_BACKOFF_HELD_MS_MAX + 100);
	cr_assert_eq(live_links(w, 40, 0), 3, "a node without any link does not wait for longer");
	world_free(w);
}

Test(neighbour, two_of_long_standing_are_remembered_and_dialled_first)
{
	struct world *w = open_network(16, 6);
	uint16_t anchors[PL_ANCHORS_MAX], list[16];

	for (uint16_t node = 0; node < 16; node++)
		world_config(w, node)->mesh_nodes_max = 8;
	world_start(w);
	world_run_ms(w, 5000);
	cr_assert_eq(world_anchor(w, 0, 0), PL_NODE_NONE, "nobody has stood for long");
	world_run_ms(w, 11 * MINUTE_MS);
	for (int i = 0; i < PL_ANCHORS_MAX; i++) {
		anchors[i] = world_anchor(w, 0, i);
		cr_assert_neq(anchors[i], PL_NODE_NONE);
		cr_assert_eq(peer(w, 0, anchors[i]).role, PL_PEER_ANCHOR);
	}
	cr_assert_neq(anchors[0], anchors[1]);
	for (unsigned restart = 0; restart < few(3, 1); restart++) {
		world_stop(w, 0);
		world_run_ms(w, 10 * MINUTE_MS);
		world_crash(w, 0);
		world_run_ms(w, 5000);
		cr_assert_eq(chosen_of(w, 16, 0, list), 8);
		for (int i = 0; i < PL_ANCHORS_MAX; i++)
			cr_assert(peer(w, 0, anchors[i]).role == PL_PEER_ANCHOR && is_live(w, 0, anchors[i]));
	}
	/* the hourly handshake does not unseat them, nor does a link that is lost and at once made again */
	world_run_ms(w, 75 * MINUTE_MS);
	world_cut(w, 0, anchors[0]);
	world_heal(w, 0, anchors[0]);
	world_run_ms(w, 21 * MINUTE_MS);
	cr_assert_eq(world_anchor(w, 0, 0), anchors[0]);
	cr_assert_eq(world_anchor(w, 0, 1), anchors[1]);
	/* one that stays away is followed by another */
	world_stop(w, anchors[0]);
	world_run_ms(w, 25 * MINUTE_MS);
	cr_assert(world_anchor(w, 0, 0) != anchors[0] && world_anchor(w, 0, 0) != anchors[1] && is_live(w, 0, world_anchor(w, 0, 0)));
	cr_assert_eq(world_anchor(w, 0, 1), anchors[1]);
	world_free(w);
}

Test(neighbour, an_anchor_that_is_away_is_followed_by_who_has_been_linked_for_longest)
{
	struct world *w = network(6, 11);

	world_config(w, 0)->mesh_nodes_max = 2;
	world_link(w, 0, 1);
	world_start(w);
	world_run_ms(w, 8 * MINUTE_MS);
	world_link(w, 0, 5);
	world_run_ms(w, 3 * MINUTE_MS);
	cr_assert_eq(world_anchor(w, 0, 0), 1);
	cr_assert_eq(world_anchor(w, 0, 1), PL_NODE_NONE, "three minutes are not long");
	world_run_ms(w, 10 * MINUTE_MS);
	cr_assert_eq(world_anchor(w, 0, 1), 5);
	world_run_ms(w, 4 * MINUTE_MS);
	world_link(w, 0, 2);
	world_run_ms(w, 30 * MINUTE_MS);
	world_link(w, 0, 3);
	world_run_ms(w, 151 * MINUTE_MS);
	/* the handshake with 2 has just been renewed, that with 3 has not */
	world_stop(w, 5);
	world_run_ms(w, 11 * MINUTE_MS);
	cr_assert_eq(peer(w, 0, 5).role, PL_PEER_CHOSEN, "nobody could take its place");
	cr_assert_eq(world_anchor(w, 0, 0), 1);
	cr_assert_eq(world_anchor(w, 0, 1), 2);
	world_free(w);
}

static uint16_t reached_from_0(struct world *w, uint16_t nodes)
{
	bool seen[WORLD_NODES_MAX] = { true };
	uint16_t queue[WORLD_NODES_MAX] = { 0 }, count = 1;

	for (uint16_t at = 0; at < count; at++) {
		for (uint16_t other = 0; other < nodes; other++) {
			if (!seen[other] && is_live(w, queue[at], other)) {
				seen[other] = true;
				queue[count++] = other;
			}
		}
	}
	return count;
}

Test(neighbour, sixty_nodes_hang_together_whatever_they_choose)
{
	for (uint64_t seed = 1; seed <= few(8, 1); seed++) {
		struct world *w = open_network(60, seed);
		world_start(w);
		world_run_ms(w, 3000);
		cr_assert_eq(reached_from_0(w, 60), 60, "seed %d", (int)seed);
		world_free(w);
	}
}

/* Those who chose within their half of a network that was cut have no reason to dial across, but that they look around. */
Test(neighbour, halves_that_were_cut_for_long_find_each_other)
{
	struct world *w = open_network(40, 8);
	uint64_t healed_ms;

	world_start(w);
	world_run_ms(w, 5000);
	for (uint16_t a = 0; a < 20; a++) {
		for (uint16_t b = 20; b < 40; b++)
			world_cut(w, a, b);
	}
	world_run_ms(w, 15 * MINUTE_MS);
	cr_assert_eq(reached_from_0(w, 40), 20);
	for (uint16_t node = 0; node < 40; node += 13)
		cr_assert_eq(world_submit(w, node, 1, PL_KIND_MESSAGE, 0, "said meanwhile", 14), PL_OK);
	world_run_ms(w, MINUTE_MS);
	for (uint16_t a = 0; a < 20; a++) {
		for (uint16_t b = 20; b < 40; b++)
			world_heal(w, a, b);
	}
	healed_ms = world_now(w);
	cr_assert(world_converges(w, 2 * MINUTE_MS));
	cr_assert_leq(world_now(w) - healed_ms, 30000, "%d ms", (int)(world_now(w) - healed_ms));
	world_free(w);
}

Test(neighbour, whoever_is_not_chosen_is_looked_at_in_turn)
{
	struct world *w = network(40, 12);
	bool seen[29] = { false };
	uint16_t count = 0;

	for (uint16_t node = 1; node <= 28; node++)
		world_link(w, 0, node);
	world_start(w);
	for (int i = 0; i < 6 * 30; i++) { /* twenty, a minute and a half each at most */
		world_run_ms(w, 10000);
		cr_assert_leq(count_role(w, 40, 0, PL_PEER_FURTHER, false), 1);
		for (uint16_t node = 1; node <= 28; node++) {
			if (peer(w, 0, node).role != PL_PEER_FURTHER || seen[node])
				continue;
			seen[node] = true;
			count++;
		}
	}
	cr_assert_eq(count, 20);
	world_free(w);
}

Test(neighbour, who_is_only_looked_at_stays_while_it_is_the_only_link)
{
	struct world *w = network(40, 10);

	for (uint16_t node = 1; node <= 9; node++)
		world_link(w, 0, node);
	world_cut(w, 0, 9);
	world_start(w);
	world_run_ms(w, 10000); /* node 9 cannot be reached, and the others have the places */
	cr_assert_eq(count_role(w, 40, 0, PL_PEER_CHOSEN, true), 8);
	world_heal(w, 0, 9);
	for (int s = 0; s < 600 && !is_live(w, 0, 9); s++)
		world_run_ms(w, 1000);
	cr_assert(is_live(w, 0, 9));
	cr_assert_eq(peer(w, 0, 9).role, PL_PEER_FURTHER);
	world_run_ms(w, 28000);
	for (uint16_t node = 1; node <= 8; node++)
		world_stop(w, node);
	world_run_ms(w, 3000);
	cr_assert(is_live(w, 0, 9), "its time is over, and it is all that there is");
	world_run_ms(w, MINUTE_MS);
	cr_assert(is_live(w, 0, 9) && is_chosen(w, 0, 9), "one of those that are away has given it its place");
	for (uint16_t node = 1; node <= 8; node++)
		world_crash(w, node);
	world_run_ms(w, PL_BACKOFF_MS_MAX + MINUTE_MS);
	cr_assert_eq(count_role(w, 40, 0, PL_PEER_CHOSEN, true), 8);
	cr_assert(is_chosen(w, 0, 9));
	world_free(w);
}

/* --- hostile neighbours --- */

#define HONEST 6 /* nodes 1 to HONEST; the rest accepts links and says nothing that is not known; 0 is who starts */

/* The honest have written something that node 0 has not heard of. */
static struct world *hostile_network(uint16_t nodes, uint64_t seed, uint16_t honest_in_reach)
{
	struct world *w = network(nodes, seed);

	for (uint16_t a = 0; a < nodes; a++) {
		for (uint16_t b = 0; b < nodes; b++) {
			if (a != b && ((a == 0 && b > HONEST) || (a == 0 && b <= honest_in_reach) || (a > 0 && a <= HONEST && b > 0 && b <= HONEST)))
				world_link(w, a, b);
		}
	}
	for (uint16_t node = 1; node <= HONEST; node++)
		world_config(w, node)->mesh_nodes_max = nodes;
	world_start(w);
	world_stop(w, 0);
	world_run_ms(w, 1000);
	for (uint16_t node = 1; node <= HONEST; node++)
		cr_assert_eq(world_submit(w, node, 1, PL_KIND_MESSAGE, 0, "honest", 6), PL_OK);
	world_run_ms(w, 1000);
	return w;
}

static bool knows_all(struct world *w)
{
	for (uint16_t node = 1; node <= HONEST; node++) {
		if (world_durable(w, 0, node, 1) == 0)
			return false;
	}
	return true;
}

/* Of 40 in reach 6 are honest: 85 % are not. With eight drawn at random, one start in four has none of them; three such are
 * looked at. */
Test(neighbour, a_cold_boot_among_hostile_nodes_finds_the_honest)
{
	unsigned without = 0;

	for (uint64_t seed = 1; without < few(3, 1); seed++) {
		cr_assert_leq(seed, 60);
		struct world *w = hostile_network(41, seed, HONEST);
		uint16_t list[41];
		world_crash(w, 0);
		world_run_ms(w, 5000);
		cr_assert_eq(chosen_of(w, 41, 0, list), 8);
		if (!knows_all(w)) {
			without++;
			for (int minute = 0; minute < 30 && !knows_all(w); minute++)
				world_run_ms(w, MINUTE_MS);
			cr_assert(knows_all(w), "seed %d", (int)seed);
			world_run_ms(w, 65 * MINUTE_MS); /* a session is renewed after an hour */
		}
		/* and goes on hearing of them */
		for (uint16_t node = 1; node <= HONEST; node++)
			cr_assert_eq(world_submit(w, node, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
		world_run_ms(w, 5000);
		for (uint16_t node = 1; node <= HONEST; node++)
			cr_assert_eq(world_durable(w, 0, node, 0), 1, "seed %d", (int)seed);
		world_free(w);
	}
}

Test(neighbour, one_honest_node_among_seventy_six_is_met_within_as_many_looks)
{
	struct world *w = hostile_network(82, 3, 1);

	world_crash(w, 0);
	world_run_ms(w, 5000);
	cr_assert_not(knows_all(w));
	for (int minute = 0; minute < 105 && !knows_all(w); minute++)
		world_run_ms(w, MINUTE_MS);
	cr_assert(knows_all(w));
	cr_assert_eq(peer(w, 0, 1).role, PL_PEER_FURTHER);
	world_run_ms(w, 70 * MINUTE_MS);
	cr_assert(is_live(w, 0, 1), "it stays");
	world_free(w);
}

Test(neighbour, one_honest_anchor_is_enough)
{
	struct world *w = hostile_network(82, 3, 1);
	uint16_t list[82];

	/* in an earlier life the honest one was all that there was */
	for (uint16_t node = HONEST + 1; node < 82; node++)
		world_cut(w, 0, node);
	world_crash(w, 0);
	world_run_ms(w, 21 * MINUTE_MS);
	cr_assert(world_anchor(w, 0, 0) == 1 || world_anchor(w, 0, 1) == 1);
	world_stop(w, 0);
	for (uint16_t node = HONEST + 1; node < 82; node++)
		world_heal(w, 0, node);
	for (uint16_t node = 1; node <= HONEST; node++)
		cr_assert_eq(world_submit(w, node, 1, PL_KIND_MESSAGE, 0, "meanwhile", 9), PL_OK);
	world_run_ms(w, 1000);
	world_crash(w, 0);
	world_run_ms(w, 1000);
	for (uint16_t node = 1; node <= HONEST; node++)
		cr_assert_eq(world_durable(w, 0, node, 1), 2);
	cr_assert_eq(chosen_of(w, 82, 0, list), 8);
	world_free(w);
}

/* Who names entries and does not give them: all but the last. */
Test(neighbour, what_the_neighbours_withhold_is_looked_for_elsewhere_and_nobody_is_cut_off)
{
	struct world *w = network(40, 11);
	uint16_t list[40], further_most = 0;
	int seconds = 0;

	for (uint16_t node = 1; node < 40; node++) {
		for (uint16_t other = 1; other < 40; other++) {
			if (node != other)
				world_link(w, node, other);
		}
	}
	for (uint16_t node = 1; node <= 8; node++)
		world_link(w, 0, node);
	world_start(w);
	world_stop(w, 0); /* it knows of nothing */
	world_run_ms(w, 5000);
	for (uint16_t node = 1; node < 40; node++)
		cr_assert_eq(world_submit(w, node, 1, PL_KIND_MESSAGE, 0, "withheld", 8), PL_OK);
	world_run_ms(w, 10000);
	for (uint16_t node = 1; node < 39; node++)
		world_store_forgets(w, node, true);
	world_crash(w, 0);
	world_run_ms(w, 1000);
	cr_assert_eq(chosen_of(w, 40, 0, list), 8);
	for (uint16_t node = 9; node < 40; node++)
		world_link(w, 0, node);
	for (; seconds < 300 && world_durable(w, 0, 1, 1) == 0; seconds++) {
		world_run_ms(w, 1000);
		const uint16_t further = count_role(w, 40, 0, PL_PEER_FURTHER, false);
		further_most = further > further_most ? further : further_most;
	}
	cr_assert_eq(world_durable(w, 0, 1, 1), 1, "within five minutes, not as many as there are nodes");
	cr_assert(further_most >= 2 && further_most <= 4, "%d at once", further_most);
	world_run_ms(w, 10000);
	for (uint16_t node = 1; node < 40; node++)
		cr_assert_eq(world_durable(w, 0, node, 1), 1);
	for (int i = 0; i < 8; i++)
		cr_assert(is_chosen(w, 0, list[i]) && is_live(w, 0, list[i]), "who withholds stays a neighbour");
	/* who gives stays too, and what comes next is there without another search */
	world_run_ms(w, 10 * MINUTE_MS);
	const uint16_t giver = 39;
	cr_assert(is_live(w, 0, giver) && peer(w, 0, giver).role == PL_PEER_FURTHER);
	cr_assert_eq(world_submit(w, giver, 1, PL_KIND_MESSAGE, 0, "next", 4), PL_OK);
	world_run_ms(w, 1000);
	cr_assert_eq(world_durable(w, 0, giver, 1), 2);
	world_free(w);
}

/* 1 to 8 are chosen, and 9 is then looked at. */
static struct world *looked_at(uint64_t seed)
{
	struct world *w = network(40, seed);

	for (uint16_t node = 1; node <= 8; node++)
		world_link(w, 0, node);
	world_start(w);
	world_run_ms(w, 5000);
	world_link(w, 0, 9);
	return w;
}

static void await_look(struct world *w, uint16_t node)
{
	for (int i = 0; i < 9000 && !is_live(w, 0, node); i++)
		world_run_ms(w, 100);
	cr_assert(is_live(w, 0, node) && peer(w, 0, node).role == PL_PEER_FURTHER);
}

Test(neighbour, who_has_nothing_but_its_own_to_say_is_let_go)
{
	struct world *w = looked_at(1);

	for (int i = 0; i < 20; i++)
		cr_assert_eq(world_submit(w, 9, 1, PL_KIND_MESSAGE, 0, "mine", 4), PL_OK);
	await_look(w, 9);
	world_run_ms(w, 29000);
	cr_assert_eq(world_durable(w, 0, 9, 1), 20, "it is heard all the same");
	cr_assert(is_live(w, 0, 9));
	world_run_ms(w, 2000);
	cr_assert_not(is_live(w, 0, 9));
	world_free(w);
}

Test(neighbour, who_has_what_others_have_is_let_go)
{
	struct world *w = looked_at(2);
	struct pl_event little = { .type = PL_EV_ROOM, .room = { .lanes = 2, .lane_bytes_max = UINT64_MAX } };
	struct pl_event all = { .type = PL_EV_ROOM, .room = { .lanes = PL_LANES, .lane_bytes_max = UINT64_MAX } };

	for (uint16_t node = 1; node < 9; node++)
		world_link(w, node, 9);
	cr_assert_eq(world_step(w, 0, &little), PL_OK);
	world_submit_bulk(w, 5, 20, 100);
	await_look(w, 9);
	world_run_ms(w, 1000);
	cr_assert_eq(world_step(w, 0, &all), PL_OK);
	world_run_ms(w, 5000);
	cr_assert_eq(world_durable(w, 0, 5, 2), 20);
	cr_assert_gt(peer(w, 0, 9).entries_in, 0, "it is the one that was asked");
	world_run_ms(w, 60000);
	cr_assert_not(is_live(w, 0, 9));
	world_free(w);
}

/* What is made so that nobody else has it gets three of them a place, and no more. */
Test(neighbour, those_who_say_what_nobody_else_says_do_not_keep_the_others_out)
{
	struct world *w = looked_at(3);
	int minutes = 0;

	for (uint16_t node = 9; node <= 16; node++) {
		world_forge(w, node, (uint16_t)(node + 11), 1, 1, "made for this", 13);
		world_link(w, 0, node);
	}
	for (; minutes < 12; minutes++) {
		world_run_ms(w, MINUTE_MS);
		cr_assert_leq(count_role(w, 40, 0, PL_PEER_FURTHER, false), 4);
	}
	cr_assert_geq(count_role(w, 40, 0, PL_PEER_FURTHER, true), 3);
	world_forge(w, 17, 30, 1, 1, "true", 4);
	world_link(w, 0, 17);
	for (; minutes < 40 && world_durable(w, 0, 30, 1) == 0; minutes++)
		world_run_ms(w, MINUTE_MS);
	cr_assert_eq(world_durable(w, 0, 30, 1), 1);
	world_free(w);
}
