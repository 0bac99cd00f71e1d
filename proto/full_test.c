/* A node whose disk is full: what it still does for others, and how it goes on. Stories as in engine_test.c. */
#include <criterion/criterion.h>

#include "tests/hostile.h"

/* FIN - CHE - SGP */
static struct world *chain(void)
{
	struct world *w = world_new(3, 1);

	world_link(w, FIN, CHE);
	world_link(w, SGP, CHE);
	world_start(w);
	world_run_ms(w, 100);
	return w;
}

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

	for (uint16_t a = 0; a < 4; a++) {
		for (uint16_t b = (uint16_t)(a + 1); b < 4; b++)
			world_link(w, a, b);
	}
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
