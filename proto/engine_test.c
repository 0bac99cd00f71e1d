/* The engine in a small world (tests/world.h). Each test is a story: who is linked to whom, what happens, what must hold after so many ms. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "crypto/bytes.h"
#include "proto/parts.h"
#include "tests/story.h"

Test(engine, links_come_up)
{
	struct world *w = chain();
	struct pl_peer_info info;

	pl_engine_peer(world_engine(w, FIN), CHE, &info);
	cr_assert_eq(info.state, PL_SESSION_LIVE, "state %s", pl_session_state_name(info.state));
	pl_engine_peer(world_engine(w, CHE), FIN, &info);
	cr_assert_eq(info.state, PL_SESSION_LIVE);
	cr_assert(info.inbound);
	world_free(w);
}

Test(engine, a_flash_crosses_a_relay_before_the_relay_has_committed_it)
{
	struct world *w = chain();

	world_latency(w, 10, 50);
	const uint64_t start = world_now(w);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
	world_run_ms(w, 500);
	cr_assert(world_same_entry(w, FIN, SGP, FIN, 0, 1));
	/* commit at FIN 50, two links 20, commit at SGP 50; CHE's own commit is not waited for */
	cr_assert_eq(world_durable_at(w, SGP, FIN, 0, 1) - start, 120, "took %d ms", (int)(world_durable_at(w, SGP, FIN, 0, 1) - start));
	world_free(w);
}

Test(engine, other_entries_wait_for_the_relay_to_commit)
{
	struct world *w = chain();

	world_latency(w, 10, 50);
	const uint64_t start = world_now(w);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "routine", 7), PL_OK);
	world_run_ms(w, 500);
	cr_assert(world_same_entry(w, FIN, SGP, FIN, 1, 1));
	cr_assert_eq(world_durable_at(w, SGP, FIN, 1, 1) - start, 170);
	world_free(w);
}

Test(engine, an_entry_is_acknowledged_only_when_it_is_durable)
{
	struct world *w = chain();

	world_latency(w, 1, 1000);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
	world_run_ms(w, 1500); /* durable at FIN, in CHE's memory */
	cr_assert_eq(pl_engine_acked(world_engine(w, FIN), CHE, FIN, 0), 0);
	world_run_ms(w, 1000);
	cr_assert_eq(pl_engine_acked(world_engine(w, FIN), CHE, FIN, 0), 1);
	cr_assert_eq(rest_of(w, FIN), 0);
	world_free(w);
}

Test(engine, what_is_sent_while_the_relay_is_away_is_held_and_then_arrives)
{
	struct world *w = chain();

	world_cut(w, FIN, CHE);
	world_cut(w, SGP, CHE);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	cr_assert_eq(world_submit(w, SGP, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "back", 4), PL_OK);
	world_run_ms(w, 3000);
	cr_assert_eq(rest_of(w, FIN), 10);
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 0);
	world_heal(w, FIN, CHE);
	world_heal(w, SGP, CHE);
	cr_assert(world_converges(w, 20000));
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 10);
	cr_assert(world_same_entry(w, FIN, SGP, SGP, 0, 1));
	world_run_ms(w, 1000);
	cr_assert_eq(rest_of(w, FIN), 0);
	world_free(w);
}

Test(engine, catch_up_checks_one_signature_for_many_entries)
{
	struct world *w = chain();
	struct pl_engine_counters counters;

	world_cut(w, SGP, CHE);
	world_submit_bulk(w, FIN, 5000, 200);
	world_run_ms(w, 5000);
	cr_assert_eq(world_durable(w, CHE, FIN, 2), 5000);
	world_heal(w, SGP, CHE);
	cr_assert(world_converges(w, 60000));
	pl_engine_counters(world_engine(w, SGP), &counters);
	cr_assert_gt(counters.catchup_batched, 4500, "batched %d", (int)counters.catchup_batched);
	cr_assert_lt(counters.signatures_verified, 300, "verified %d", (int)counters.signatures_verified);
	for (uint64_t seq = 1; seq <= 5000; seq += 499)
		cr_assert(world_same_entry(w, FIN, SGP, FIN, 2, seq));
	world_free(w);
}

Test(engine, live_bulk_is_checked_one_by_one)
{
	struct world *w = chain();
	struct pl_engine_counters counters;

	world_submit_bulk(w, FIN, 300, 500);
	cr_assert(world_converges(w, 20000));
	pl_engine_counters(world_engine(w, CHE), &counters);
	cr_assert_eq(counters.signatures_verified, 300, "verified %d", (int)counters.signatures_verified);
	world_free(w);
}

Test(engine, bulk_waits_for_its_signatures_and_nothing_else_does)
{
	struct world *w = chain();

	world_check_takes(w, 500);
	const uint64_t start = world_now(w);
	world_submit_bulk(w, FIN, 100, 500);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "now", 3), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "soon", 4), PL_OK);
	world_run_ms(w, 100);
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 1);
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 1);
	cr_assert_eq(world_durable(w, CHE, FIN, 2), 0);
	cr_assert(world_converges(w, 10000));
	cr_assert_geq(world_durable_at(w, CHE, FIN, 2, 1), start + 500);
	world_free(w);
}

Test(engine, a_link_that_ends_while_signatures_are_looked_at_leaves_nothing_behind)
{
	struct world *w = chain();
	struct pl_engine_counters counters;

	world_cut(w, FIN, CHE);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	/* each time a verdict is wanted that comes too late */
	for (int i = 0; i < 20; i++) {
		struct pl_peer_info info = { 0 };
		world_check_takes(w, i < 19 ? 20000 : 300);
		world_heal(w, FIN, CHE);
		for (int ms = 0; info.state != PL_SESSION_LIVE && ms < 60000; ms++) {
			world_run_ms(w, 1);
			pl_engine_peer(world_engine(w, CHE), FIN, &info);
		}
		world_run_ms(w, 100);
		cr_assert_eq(world_durable(w, CHE, FIN, 1), 0);
		if (i < 19)
			world_cut(w, FIN, CHE);
	}
	cr_assert(world_converges(w, 10000));
	pl_engine_counters(world_engine(w, CHE), &counters);
	cr_assert_eq(world_durable(w, CHE, FIN, 1), 20);
	cr_assert_eq(counters.entries_refused, 0);
	world_free(w);
}

Test(engine, more_links_bring_bulk_than_are_looked_at_at_once)
{
	const uint16_t nodes = 16;
	struct world *w = world_new(nodes, 11);

	world_config(w, 0)->links_max = nodes;
	for (uint16_t i = 1; i < nodes; i++)
		world_link(w, i, 0);
	world_start(w);
	world_run_ms(w, 1000);
	world_check_takes(w, 20);
	for (uint16_t i = 1; i < nodes; i++)
		world_submit_bulk(w, i, 50, 300);
	cr_assert(world_converges(w, 60000));
	for (uint16_t i = 1; i < nodes; i++)
		cr_assert_eq(world_durable(w, 0, i, 2), 50);
	world_free(w);
}

Test(engine, large_entries_travel_in_pieces)
{
	struct world *w = chain();
	static uint8_t body[PL_BODY_BYTES_MAX];

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 31 >> 3);
	for (uint8_t lane = 1; lane < 3; lane++) {
		cr_assert_eq(world_submit(w, FIN, lane, lane == 1 ? PL_KIND_MESSAGE : PL_KIND_INDICATORS, 0, body, sizeof(body)), PL_OK);
		cr_assert_eq(world_submit(w, FIN, lane, lane == 1 ? PL_KIND_MESSAGE : PL_KIND_INDICATORS, 0, body, 1), PL_OK);
	}
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, body, PL_FLASH_BODY_BYTES_MAX), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, body, PL_FLASH_BODY_BYTES_MAX + 1), PL_ERR_LIMIT);
	cr_assert(world_converges(w, 10000));
	for (uint8_t lane = 0; lane < 3; lane++)
		cr_assert(world_same_entry(w, FIN, SGP, FIN, lane, 1));
	world_free(w);
}

Test(engine, a_crash_loses_nothing_that_was_durable_and_the_rest_comes_again)
{
	struct world *w = chain();

	world_latency(w, 1, 20);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 5; i++)
			(void)world_submit(w, FIN, (uint8_t)(i % 2), PL_KIND_MESSAGE, i % 2 ? 0 : PL_FLAG_FLASH, &round, sizeof(round));
		world_run_ms(w, 7 + (uint64_t)round * 3);
		world_crash(w, CHE);
	}
	cr_assert(world_converges(w, 60000));
	cr_assert_gt(world_durable(w, SGP, FIN, 1), 20);
	world_free(w);
}

/* --- links that carry only so much --- */

/* How long FLASH entries take from FIN to CHE while bulk fills the link between them: the most, in ms. */
static uint64_t flash_under_bulk(uint64_t rate, uint64_t latency_ms, uint32_t bulk_count, uint32_t bulk_bytes, uint64_t apart_ms)
{
	struct world *w = world_new(2, 5);
	static uint8_t body[200];
	uint64_t most = 0;

	world_rate(w, rate);
	world_latency(w, latency_ms, 1);
	world_link(w, FIN, CHE);
	world_start(w);
	world_run_ms(w, 3000);
	world_submit_bulk(w, FIN, bulk_count, bulk_bytes);
	world_run_ms(w, 2000);
	for (uint64_t seq = 1; seq <= 15; seq++) {
		const uint64_t start = world_now(w);
		cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, body, sizeof(body)), PL_OK);
		world_run_ms(w, apart_ms + 3 * seq);
		cr_assert_eq(world_durable(w, CHE, FIN, 0), seq, "at %d bytes a second", (int)rate);
		if (world_durable_at(w, CHE, FIN, 0, seq) - start > most)
			most = world_durable_at(w, CHE, FIN, 0, seq) - start;
	}
	cr_assert_lt(world_durable(w, CHE, FIN, 2), bulk_count, "there was bulk all the while");
	cr_assert_gt(world_durable(w, CHE, FIN, 2), 0);
	world_free(w);
	return most;
}

Test(engine, a_flash_waits_for_a_record_and_not_for_the_bulk_behind_it)
{
	/* 10 Mbit/s: a record of 16 KiB takes 13 ms; 52 ms would it take on an empty link */
	const uint64_t fast = flash_under_bulk(1250000, 50, 6000, 4000, 150);
	cr_assert_leq(fast, 52 + 14, "%d ms", (int)fast);
	/* 64 kbit/s: records of 256 bytes, 34 ms each; the FLASH takes two */
	const uint64_t slow = flash_under_bulk(8000, 50, 200, 4000, 1000);
	cr_assert_leq(slow, 52 + 3 * 35, "%d ms", (int)slow);
	/* 9,600 baud: 230 ms each */
	const uint64_t slowest = flash_under_bulk(1200, 100, 100, 4000, 3000);
	cr_assert_leq(slowest, 102 + 3 * 229, "%d ms", (int)slowest);
}

Test(engine, catching_up_over_a_thin_link_is_slow_and_nobody_is_blamed_for_it)
{
	struct world *w = chain();
	struct pl_engine_counters counters;

	world_cut(w, SGP, CHE);
	world_submit_bulk(w, FIN, 3, 20000);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(world_submit(w, FIN, (uint8_t)(i % 2), PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	world_run_ms(w, 1000);
	world_rate(w, 1200);
	world_heal(w, SGP, CHE);
	/* 66 KB and their padding */
	cr_assert(world_converges(w, 90000));
	pl_engine_counters(world_engine(w, SGP), &counters);
	cr_assert_eq(counters.wants_timed_out, 0);
	cr_assert_eq(counters.duplicates, 0);
	world_free(w);
}

Test(engine, lanes_share_a_link_eight_to_four_to_one)
{
	struct world *w = world_new(2, 5);
	static uint8_t body[2000];
	uint64_t before[PL_LANES], after[PL_LANES];

	world_config(w, FIN)->quota[0] = world_config(w, CHE)->quota[0] = (struct pl_quota){ 10000000, 10000000 };
	world_rate(w, 100000);
	world_link(w, FIN, CHE);
	world_start(w);
	world_run_ms(w, 1000);
	for (uint32_t i = 0; i < 900; i++) {
		const uint8_t lane = (uint8_t)(i % PL_LANES);
		cr_assert_eq(world_submit(w, FIN, lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, body, sizeof(body)), PL_OK);
	}
	world_run_ms(w, 500);
	for (uint8_t lane = 0; lane < PL_LANES; lane++)
		before[lane] = world_durable(w, CHE, FIN, lane);
	world_run_ms(w, 5000);
	for (uint8_t lane = 0; lane < PL_LANES; lane++)
		after[lane] = world_durable(w, CHE, FIN, lane) - before[lane];
	cr_assert_gt(after[2], 10);
	cr_assert(after[0] > 6 * after[2] && after[0] < 10 * after[2] && after[1] > 3 * after[2] && after[1] < 5 * after[2], "%d %d %d", (int)after[0],
	          (int)after[1], (int)after[2]);
	world_free(w);
}

/* What a lane has sent does not count against it for ever: when it has had nothing to say, it begins anew. */
Test(engine, a_lane_that_was_idle_owes_nothing)
{
	struct world *w = chain();
	static uint8_t body[100000];
	struct pl_engine *e = world_engine(w, FIN);
	const struct session *s = &e->sessions[e->peers[CHE].session];
	bool has_owed = false;

	world_rate(w, 1000000);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, body, sizeof(body)), PL_OK);
	world_submit_bulk(w, FIN, 200, 2000);
	for (int ms = 0; ms < 2000; ms++) {
		world_run_ms(w, 1);
		has_owed |= s->out[PL_CLASS_LANE0].deficit < 0;
	}
	cr_assert(has_owed);
	cr_assert_eq(world_durable(w, CHE, FIN, 0), 1);
	cr_assert_eq(s->out[PL_CLASS_LANE0].deficit, 0);
	world_free(w);
}

/* Copies of an entry that come to a node, in thousandths, over all nodes of a full mesh; lane 2 with bodies of 3 KB. */
static uint64_t copies_in_mesh(uint16_t nodes, uint8_t lane, uint64_t latency_ms, uint64_t commit_ms)
{
	struct world *w = world_new(nodes, 3);
	static uint8_t body[3000];
	uint64_t before = 0, after = 0;

	for (uint16_t a = 0; a < nodes; a++)
		world_config(w, a)->links_max = nodes;
	world_mesh(w, 0, nodes);
	world_start(w);
	world_run_ms(w, 200);
	world_latency(w, latency_ms, commit_ms);
	for (int round = 0; round < 2; round++) {
		uint64_t *count = round == 0 ? &before : &after;
		for (int i = 0; i < 10 * nodes; i++) {
			cr_assert_eq(world_submit(w, (uint16_t)(i % nodes), lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, body,
			                          lane == 2 ? sizeof(body) : 10), PL_OK);
			world_run_ms(w, 7);
		}
		cr_assert(world_converges(w, 10000));
		world_run_ms(w, 200);
		for (uint16_t node = 0; node < nodes; node++) {
			for (uint16_t peer = 0; peer < nodes; peer++) {
				struct pl_peer_info info;
				pl_engine_peer(world_engine(w, node), peer, &info);
				*count += info.entries_in;
			}
		}
	}
	world_free(w);
	/* the second round: who pushes to whom has been found */
	return (after - before) * 1000 / (10u * nodes * (nodes - 1u));
}

Test(engine, in_a_full_mesh_two_copies_of_an_entry_come_to_each_node)
{
	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		const uint64_t near = copies_in_mesh(6, lane, 1, 1), far = copies_in_mesh(6, lane, 30, 5);
		cr_assert_leq(near, 2100, "lane %u: %d", lane, (int)near);
		cr_assert_leq(far, 2100, "lane %u, nodes far apart: %d", lane, (int)far);
	}
	const uint64_t many = copies_in_mesh(14, 1, 2, 1);
	cr_assert_leq(many, 2100, "14 nodes: %d", (int)many);
}

Test(engine, when_those_that_push_are_gone_an_entry_comes_sixty_milliseconds_later_and_then_as_before)
{
	struct world *w = world_new(5, 1);

	world_mesh(w, 0, 5);
	world_start(w);
	world_run_ms(w, 200);
	world_latency(w, 5, 5);
	for (uint64_t seq = 1; seq <= 30; seq++) {
		if (seq == 11) {
			world_cut(w, SGP, FIN);
			world_cut(w, SGP, CHE);
		}
		const uint64_t start = world_now(w);
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &seq, sizeof(seq)), PL_OK);
		world_run_ms(w, 200);
		const uint64_t took = world_durable_at(w, SGP, FIN, 1, seq) - start;
		cr_assert(world_durable(w, SGP, FIN, 1) == seq && took <= (seq == 11 ? 5 * 5 + PL_HAVE_DELAY_MS + 25 : 25), "entry %d: %d ms", (int)seq,
		          (int)took);
	}
	world_free(w);
}

/* Every node holds what it lacks, and could push it: it asks one, and gets one copy. */
Test(engine, who_comes_back_to_a_full_mesh_gets_each_entry_once)
{
	struct world *w = world_new(5, 3);
	struct pl_engine_counters counters;
	uint64_t came = 0;

	world_mesh(w, 0, 5);
	world_start(w);
	world_run_ms(w, 200);
	world_stop(w, 4);
	for (int i = 0; i < 300; i++) {
		const uint8_t lane = (uint8_t)(i % 3);
		cr_assert_eq(world_submit(w, (uint16_t)(i % 4), lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
		world_run_ms(w, 3);
	}
	world_crash(w, 4);
	world_run_ms(w, 3000);
	for (int i = 0; i < 60; i++) { /* and while it catches up others go on */
		cr_assert_eq(world_submit(w, (uint16_t)(i % 4), 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
		world_run_ms(w, 3);
	}
	cr_assert(world_converges(w, 10000));
	pl_engine_counters(world_engine(w, 4), &counters);
	for (uint16_t peer = 0; peer < 4; peer++) {
		struct pl_peer_info info;
		pl_engine_peer(world_engine(w, 4), peer, &info);
		came += info.entries_in;
	}
	cr_assert_eq(counters.entries_accepted, 360);
	/* 300 that it lacked, once; of the 60 new ones two copies, and more until it has said that this is enough */
	cr_assert_leq(came, 300 + 3 * 60, "%d came", (int)came);
	world_free(w);
}

Test(engine, a_fork_is_proven_to_everybody_and_both_branches_stay)
{
	struct world *w = chain();

	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "same", 4), PL_OK);
	cr_assert(world_converges(w, 5000));
	world_cut(w, SGP, CHE);
	/* SGP has been shown another third entry than CHE */
	world_forge(w, SGP, FIN, 1, 3, "other", 5);
	world_heal(w, SGP, CHE);
	world_run_ms(w, 10000);
	cr_assert_eq(world_forks(w, SGP), 1);
	cr_assert_eq(world_forks(w, CHE), 1);
	cr_assert_eq(world_forks(w, FIN), 1);
	struct pl_lane_info info;
	pl_engine_lane(world_engine(w, CHE), FIN, 1, &info);
	cr_assert(info.frozen);
	cr_assert_not(world_same_entry(w, CHE, SGP, FIN, 1, 3), "each keeps its branch");
	cr_assert_eq(world_submit(w, SGP, 1, PL_KIND_MESSAGE, 0, "others go on", 12), PL_OK);
	world_run_ms(w, 2000);
	cr_assert_eq(world_durable(w, FIN, SGP, 1), 1);
	world_free(w);
}

Test(engine, a_node_restored_from_a_copy_authors_nothing)
{
	struct world *w = chain();

	for (int i = 0; i < 5; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
	cr_assert(world_converges(w, 5000));
	world_restore_copy(w, FIN, 1, 2);
	world_run_ms(w, 5000);
	cr_assert_eq(world_notes(w, FIN, PL_NOTE_SELF_BEHIND), 1);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "fork!", 5), PL_ERR_FORK);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, 0, "fork!", 5), PL_ERR_FORK);
	cr_assert_eq(world_durable(w, FIN, FIN, 1), 5, "what it had said comes back to it");
	cr_assert_eq(world_forks(w, CHE), 0);
	world_free(w);
}

Test(engine, a_node_that_stops_says_goodbye_and_takes_nothing_more)
{
	struct world *w = chain();
	struct pl_peer_info info;

	world_drain(w, FIN);
	world_drain(w, CHE);
	world_run_ms(w, 60000);
	for (uint16_t node = 0; node < 3; node += 2) {
		pl_engine_peer(world_engine(w, CHE), node, &info);
		cr_assert_eq(info.state, PL_SESSION_IDLE, "SGP dials, and is not let in");
	}
	pl_engine_peer(world_engine(w, FIN), CHE, &info);
	cr_assert_eq(info.state, PL_SESSION_BACKOFF, "FIN dials no more");
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "late", 4), PL_ERR_STATE);
	world_free(w);
}

Test(engine, nothing_is_held_for_a_node_that_others_serve)
{
	struct world *w = chain();
	struct pl_peer_info info;

	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	world_run_ms(w, 100);
	world_cut(w, SGP, CHE);
	pl_engine_peer(world_engine(w, FIN), SGP, &info);
	cr_assert_eq(info.held_entries, 0, "FIN has no link to SGP and is to have none");
	pl_engine_peer(world_engine(w, CHE), SGP, &info);
	cr_assert_eq(info.held_entries, 0, "that is SGP's link that was cut, and it had it");
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	world_run_ms(w, 100);
	pl_engine_peer(world_engine(w, CHE), SGP, &info);
	cr_assert_eq(info.held_entries, 1);
	world_free(w);
}

static void hash(const char *label, const uint8_t *bytes, size_t count, uint8_t out[32])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, 32);
	crypto_generichash_update(&state, (const uint8_t *)label, strlen(label) + 1);
	crypto_generichash_update(&state, bytes, count);
	crypto_generichash_final(&state, out, 32);
}

/* PROTOCOL.md, "Frontiers: when a link comes up", computed here from its text. Three nodes: three groups, one for each
 * lane; nobody has said anything in the third. */
Test(engine, the_frontier_root_is_what_the_protocol_says)
{
	static const struct {
		uint16_t node;
		uint8_t lane;
		uint64_t seq;
		int group;
	} heads[] = { { SGP, 0, 1, 0 }, { FIN, 1, 2, 1 }, { SGP, 1, 1, 1 } };
	struct world *w = chain();
	uint8_t digests[2][32] = { { 0 } }, items[2 * 48], root[32], theirs[32];

	hash("parley/v1/frontier", digests[0], 0, root);
	pl_engine_frontier_root(world_engine(w, CHE), theirs);
	cr_assert_arr_eq(root, theirs, 32, "of nothing");
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	cr_assert_eq(world_submit(w, SGP, 0, PL_KIND_MESSAGE, 0, "z", 1), PL_OK);
	cr_assert_eq(world_submit(w, SGP, 1, PL_KIND_MESSAGE, 0, "i", 1), PL_OK);
	cr_assert(world_converges(w, 1000));
	for (int i = 0; i < 3; i++) {
		uint8_t *item = items + (i == 2 ? 48 : 0);
		struct pl_lane_info info;
		pl_put16(item, heads[i].node);
		item[2] = heads[i].lane;
		item[3] = 0;
		pl_put32(item + 4, 1); /* generation */
		pl_put64(item + 8, heads[i].seq);
		pl_engine_lane(world_engine(w, FIN), heads[i].node, heads[i].lane, &info);
		memcpy(item + 16, info.head_id, 32);
		hash("parley/v1/group", items, i == 2 ? 96 : 48, digests[heads[i].group]);
	}
	hash("parley/v1/frontier", digests[0], sizeof(digests), root);
	pl_engine_frontier_root(world_engine(w, CHE), theirs);
	cr_assert_arr_eq(root, theirs, 32);
	cr_assert_arr_eq(root, pl_frontier_root(world_engine(w, CHE)), 32, "as it is kept");
	world_free(w);
}

Test(engine, the_same_seed_gives_the_same_story)
{
	uint8_t story[3][32];

	for (int run = 0; run < 3; run++) {
		struct world *w = world_new(4, run < 2 ? 7 : 8);
		struct flipper flipper = { .every = 300 };
		char hex[65];
		world_mesh(w, 0, 4);
		world_start(w);
		world_set_tamper(w, flip, &flipper);
		world_submit_bulk(w, FIN, 200, 300);
		for (int i = 0; i < 30; i++) {
			(void)world_submit(w, (uint16_t)(i % 4), 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, &i, sizeof(i));
			world_run_ms(w, 200);
		}
		world_crash(w, CHE);
		world_run_ms(w, 100000);
		world_story(w, story[run]);
		sodium_bin2hex(hex, sizeof(hex), story[run], sizeof(story[run]));
		cr_log_info("story %d: %s", run, hex); /* --verbose: to compare compilers by */
		world_free(w);
	}
	cr_assert_arr_eq(story[0], story[1], 32);
	cr_assert_neq(memcmp(story[0], story[2], 32), 0, "another seed, another story");
}
