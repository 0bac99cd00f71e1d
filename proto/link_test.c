/* Links: from dialling to goodbye. Each test is a story in a small world (tests/world.h): who is linked to whom, what happens, what must hold after so many
 * ms. */
#include <criterion/criterion.h>
#include <string.h>

#include "proto/handshake.h"
#include "proto/state.h"
#include "tests/story.h"

static bool drop(void *ctx, uint16_t from, uint16_t to, uint8_t *bytes, size_t count)
{
	(void)ctx, (void)from, (void)to, (void)bytes, (void)count;
	return false;
}

Test(link, one_member_dials_both_ways_and_one_link_stays)
{
	struct world *w = world_new(2, 7);

	world_link(w, 0, 1);
	world_link(w, 1, 0);
	world_start(w);
	world_run_ms(w, 5000);
	struct pl_engine_counters counters;
	struct pl_peer_info info;
	pl_engine_counters(world_engine(w, 0), &counters);
	pl_engine_peer(world_engine(w, 0), 1, &info);
	cr_assert_eq(info.state, PL_SESSION_LIVE);
	cr_assert(!info.inbound, "the link that the lower index dialled stays");
	cr_assert_leq(counters.handshakes_ok, 3);
	cr_assert_eq(world_submit(w, 1, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	cr_assert(world_converges(w, 1000));
	world_free(w);
}

Test(link, two_that_dial_each_other_at_once_end_up_with_one_link)
{
	static const uint64_t latencies[] = { 1, 20, 400 };

	for (size_t i = 0; i < sizeof(latencies) / sizeof(*latencies); i++) {
		struct world *w = world_new(2, 7 + i);
		world_link(w, 0, 1);
		world_link(w, 1, 0);
		world_latency(w, latencies[i], 1);
		world_start(w);
		for (int round = 0; round < 10; round++) {
			struct pl_engine_counters before, after;
			struct pl_peer_info low, high;
			pl_engine_counters(world_engine(w, 0), &before);
			world_run_ms(w, 10000);
			pl_engine_peer(world_engine(w, 0), 1, &low);
			pl_engine_peer(world_engine(w, 1), 0, &high);
			cr_assert(low.state == PL_SESSION_LIVE && high.state == PL_SESSION_LIVE, "latency %d, round %d", (int)latencies[i], round);
			cr_assert_neq(low.inbound, high.inbound, "it is the same link");
			pl_engine_counters(world_engine(w, 0), &after);
			cr_assert_leq(after.handshakes_ok - before.handshakes_ok, 2);
			/* it stays: nobody tries again while there is one */
			const uint32_t dials = world_dials(w, 0) + world_dials(w, 1);
			world_run_ms(w, 60000);
			cr_assert_eq(world_dials(w, 0) + world_dials(w, 1), dials);
			cr_assert_eq(world_submit(w, (uint16_t)(round % 2), 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
			cr_assert(world_converges(w, 3000));
			world_cut(w, 0, 1);
			world_heal(w, 0, 1);
		}
		world_free(w);
	}
}

/* --- hostile bytes --- */

Test(link, flipped_bits_cost_links_but_no_entry)
{
	struct world *w = chain();
	struct flipper flipper = { .every = 40 };

	world_set_tamper(w, flip, &flipper);
	for (int i = 0; i < 200; i++) {
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
		world_run_ms(w, 50);
	}
	cr_assert_gt(world_notes(w, CHE, PL_NOTE_LINK_BROKEN) + world_notes(w, FIN, PL_NOTE_LINK_BROKEN) + world_notes(w, SGP, PL_NOTE_LINK_BROKEN), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(world_notes(w, (uint16_t[]){ CHE, FIN, SGP }[i], PL_NOTE_PEER_FAULT), 0, "nobody is to blame");
	world_set_tamper(w, NULL, NULL);
	cr_assert(world_converges(w, 700000));
	cr_assert_eq(world_durable(w, SGP, FIN, 1), 200);
	for (uint64_t seq = 1; seq <= 200; seq++)
		cr_assert(world_same_entry(w, FIN, SGP, FIN, 1, seq));
	world_free(w);
}

Test(link, garbage_gets_no_answer)
{
	struct world *w = chain();
	uint8_t garbage[300];

	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(i * 37);
	for (size_t length = 1; length < sizeof(garbage); length += 23) {
		const uint32_t link = world_raw_connect(w, CHE);
		garbage[0] = 0;
		garbage[1] = PL_HANDSHAKE_BYTES_1 - 2; /* the right length, the wrong message */
		world_raw_send(w, link, garbage, length);
		world_run_ms(w, 6000);
		cr_assert_eq(world_raw_received(w, link), 0);
		cr_assert_not(world_raw_open(w, link), "length %zu", length);
	}
	world_free(w);
}

Test(link, handshakes_from_one_address_are_few)
{
	struct world *w = chain();
	uint32_t links[4];

	for (int i = 0; i < 4; i++)
		links[i] = world_raw_connect(w, CHE);
	world_run_ms(w, 10);
	cr_assert(world_raw_open(w, links[0]));
	cr_assert(world_raw_open(w, links[1]));
	cr_assert_not(world_raw_open(w, links[2]));
	cr_assert_not(world_raw_open(w, links[3]));
	cr_assert(strstr(world_last_detail(w, CHE, PL_NOTE_HANDSHAKE_FAILED), "too many connections from this address"));
	world_run_ms(w, PL_HANDSHAKE_MS_MAX);
	cr_assert_not(world_raw_open(w, links[0]), "silence is cut after 5 s");
	world_free(w);
}

struct recorder {
	uint8_t bytes[PL_HANDSHAKE_BYTES_1];
	bool have;
};

static bool record_first(void *ctx, uint16_t from, uint16_t to, uint8_t *bytes, size_t count)
{
	struct recorder *r = ctx;

	if (from == FIN && to == CHE && !r->have && count == sizeof(r->bytes)) {
		memcpy(r->bytes, bytes, count);
		r->have = true;
	}
	return true;
}

Test(link, a_first_message_that_is_played_again_gets_no_answer)
{
	struct world *w = world_new(3, 1);
	struct recorder recorder = { .have = false };

	world_set_tamper(w, record_first, &recorder);
	world_link(w, FIN, CHE);
	world_start(w);
	world_run_ms(w, 100);
	cr_assert(recorder.have);
	const uint32_t link = world_raw_connect(w, CHE);
	world_raw_send(w, link, recorder.bytes, sizeof(recorder.bytes));
	world_run_ms(w, 100);
	cr_assert_eq(world_raw_received(w, link), 0);
	cr_assert_not(world_raw_open(w, link));
	world_free(w);
}

Test(link, who_is_not_in_the_charter_or_out_of_date_gets_no_link)
{
	struct world *w = world_new(2, 1);
	struct pl_peer_info info;

	world_link(w, 0, 1);
	world_charter(w)->nodes[0].certificate.valid_until_ms = 1;
	world_start(w);
	world_run_ms(w, 3000);
	pl_engine_peer(world_engine(w, 1), 0, &info);
	cr_assert_neq(info.state, PL_SESSION_LIVE);
	cr_assert_str_eq(world_last_detail(w, 1, PL_NOTE_HANDSHAKE_FAILED), "its certificate is not valid now");
	world_free(w);

	/* who is hung up on is not told why: what may be the matter is named */
	w = world_new(2, 1);
	world_play(w, 1);
	world_link(w, 0, 1);
	world_start(w);
	world_run_ms(w, 10);
	world_raw_close(w, world_raw_dialled(w, 1));
	world_run_ms(w, 10);
	cr_assert(strstr(world_last_detail(w, 0, PL_NOTE_HANDSHAKE_FAILED), "clocks"));
	world_free(w);
}

Test(link, a_courier_key_is_used_by_both_or_there_is_no_link)
{
	static const uint8_t key[32] = "carried in the diplomatic pouch";
	for (int both = 0; both < 2; both++) {
		struct world *w = world_new(2, 1);
		const uint8_t *at_0[2] = { NULL, key }, *at_1[2] = { key, NULL };
		struct pl_peer_info info;
		world_config(w, 0)->courier_keys = both ? at_0 : NULL;
		world_config(w, 1)->courier_keys = at_1;
		world_link(w, 0, 1);
		world_start(w);
		world_run_ms(w, 3000);
		pl_engine_peer(world_engine(w, 0), 1, &info);
		cr_assert_eq(info.state == PL_SESSION_LIVE, both == 1, "both %d: state %s", both, pl_session_state_name(info.state));
		world_free(w);
	}
}

Test(link, a_session_keeps_no_ephemeral_secret)
{
	struct world *w = chain();
	static const uint8_t zeros[32];
	int looked_at = 0;

	world_run_ms(w, 100);
	for (uint16_t node = 0; node < 3; node++) {
		const struct pl_engine *e = world_engine(w, node);
		for (uint16_t i = 0; i < e->conns_ever; i++) {
			if (e->conns[i].link == PL_LINK_NONE || e->conns[i].session == PL_NONE16)
				continue;
			cr_assert_arr_eq(e->conns[i].ephemeral_secret, zeros, sizeof(zeros));
			looked_at++;
		}
	}
	cr_assert_eq(looked_at, 4, "both ends of two links");
	world_free(w);
}

Test(link, pings_keep_an_idle_link_alive)
{
	struct world *w = chain();
	struct pl_peer_info info;

	world_run_ms(w, 60000);
	pl_engine_peer(world_engine(w, FIN), CHE, &info);
	cr_assert_eq(info.state, PL_SESSION_LIVE);
	cr_assert_gt(info.rtt_ms, 0);
	world_free(w);
}

Test(link, a_link_that_goes_silent_is_given_up_within_40_s)
{
	struct world *w = chain();

	world_set_tamper(w, drop, NULL);
	world_run_ms(w, PL_HOLD_MS + PL_PING_MS);
	cr_assert_eq(world_notes(w, FIN, PL_NOTE_LINK_LOST), 1);
	cr_assert_eq(world_notes(w, SGP, PL_NOTE_LINK_LOST), 1);
	world_free(w);
}

/* What dies on the way: all from FIN once it has dialled and said who it is. */
static bool line_dies(void *ctx, uint16_t from, uint16_t to, uint8_t *bytes, size_t count)
{
	uint32_t *passed = ctx;

	(void)to;
	(void)bytes;
	(void)count;
	return from != 0 || ++*passed <= 2;
}

Test(link, a_line_that_dies_before_hello_is_nobodys_fault)
{
	struct world *w = world_new(2, 9);
	uint32_t passed = 0;

	world_set_tamper(w, line_dies, &passed);
	world_link(w, 0, 1);
	world_start(w);
	world_run_ms(w, 6000);
	cr_assert_geq(passed, 3, "what FIN said after the handshake is lost");
	cr_assert_eq(world_notes(w, 1, PL_NOTE_PEER_FAULT), 0);
	cr_assert_eq(world_notes(w, 1, PL_NOTE_HANDSHAKE_FAILED), 1);
	cr_assert_str_eq(world_last_detail(w, 1, PL_NOTE_HANDSHAKE_FAILED), "no hello within 5 s");
	world_free(w);
}

Test(link, a_session_is_renewed_after_4_gib)
{
	for (int way = 0; way < 2; way++) {
		struct world *w = chain();
		struct pl_engine *e = world_engine(w, FIN);
		struct session *s = &e->sessions[e->peers[CHE].session];
		const uint32_t dials = world_dials(w, FIN);

		*(way ? &s->writer.bytes : &s->reader->stream.bytes) = PL_SESSION_BYTES_MAX;
		world_run_ms(w, 15000);
		cr_assert_eq(world_dials(w, FIN), dials + 1);
		cr_assert_eq(world_notes(w, CHE, PL_NOTE_LINK_LOST), 1);
		cr_assert(e->peers[CHE].session != PL_NONE16 && e->sessions[e->peers[CHE].session].state == PL_SESSION_LIVE);
		world_run_ms(w, 60000);
		cr_assert_eq(world_dials(w, FIN), dials + 1, "and counts from nothing again");
		world_free(w);
	}
}

Test(link, a_session_is_renewed_after_an_hour)
{
	struct world *w = chain();
	struct pl_engine_counters counters;

	world_run_ms(w, PL_SESSION_MS_MAX + 60000);
	pl_engine_counters(world_engine(w, CHE), &counters);
	cr_assert_eq(counters.handshakes_ok, 4, "handshakes %d", (int)counters.handshakes_ok);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "f", 1), PL_OK);
	cr_assert(world_converges(w, 5000));
	world_free(w);
}

/* --- dialling --- */

/* FIN - CHE stands; SGP cannot be reached by FIN, which has its address, nor by anybody else. */
static struct world *one_of_two(void)
{
	struct world *w = world_new(3, 1);

	world_link(w, FIN, CHE);
	world_link(w, FIN, SGP);
	world_start(w);
	world_run_ms(w, 100);
	world_cut(w, FIN, SGP);
	return w;
}

/* The longest time, to within 0.1 s, that passes without node dialling. */
static uint64_t longest_wait(struct world *w, uint16_t node, uint64_t ms)
{
	uint64_t longest = 0, since = world_now(w);
	uint32_t dials = world_dials(w, node);

	for (const uint64_t until = world_now(w) + ms; world_now(w) < until;) {
		world_run_ms(w, 100);
		if (world_now(w) - since > longest)
			longest = world_now(w) - since;
		if (world_dials(w, node) != dials)
			since = world_now(w);
		dials = world_dials(w, node);
	}
	return longest;
}

static enum pl_session_state state_at(struct world *w, uint16_t node, uint16_t peer)
{
	struct pl_peer_info info;

	pl_engine_peer(world_engine(w, node), peer, &info);
	return info.state;
}

Test(link, who_cannot_be_reached_is_dialled_ever_less_often_and_at_least_every_300_s)
{
	struct world *w = one_of_two();
	struct pl_peer_info info;

	const uint32_t before = world_dials(w, FIN);
	world_run_ms(w, 20000);
	const uint32_t at_first = world_dials(w, FIN) - before;
	cr_assert(at_first >= 3 && at_first <= 12, "%u in 20 s", at_first);
	world_run_ms(w, 3600000);
	const uint32_t later = world_dials(w, FIN);
	const uint64_t longest = longest_wait(w, FIN, 2 * 3600000);
	cr_assert(longest > 150000 && longest <= 300100, "%d ms", (int)longest);
	cr_assert_leq(world_dials(w, FIN) - later, 100, "%u in two hours", world_dials(w, FIN) - later);
	pl_engine_peer(world_engine(w, FIN), SGP, &info);
	cr_assert_eq(info.state, PL_SESSION_BACKOFF);
	cr_assert_leq(info.retry_ms, world_now(w) + 300000);
	world_heal(w, FIN, SGP);
	world_run_ms(w, 300100);
	cr_assert_eq(state_at(w, FIN, SGP), PL_SESSION_LIVE);
	/* and a link that was live is made again soon */
	world_cut(w, FIN, SGP);
	world_heal(w, FIN, SGP);
	world_run_ms(w, 1100);
	cr_assert_eq(state_at(w, FIN, SGP), PL_SESSION_LIVE);
	world_free(w);
}

Test(link, while_something_is_held_for_a_peer_it_is_dialled_every_5_s)
{
	struct world *w = one_of_two();

	world_link(w, CHE, SGP);
	world_run_ms(w, 3600000);
	cr_assert_gt(longest_wait(w, FIN, 3600000), 60000);
	/* what it has said itself, and others have brought, is not held for it */
	const uint32_t dials = world_dials(w, FIN);
	for (int minute = 0; minute < 60; minute++) {
		cr_assert_eq(world_submit(w, SGP, 1, PL_KIND_MESSAGE, 0, &minute, sizeof(minute)), PL_OK);
		world_run_ms(w, 60000);
	}
	cr_assert_eq(world_durable(w, FIN, SGP, 1), 60);
	cr_assert_leq(world_dials(w, FIN) - dials, 45, "%u in an hour", world_dials(w, FIN) - dials);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	uint64_t longest = longest_wait(w, FIN, 3600000);
	cr_assert(longest > 2500 && longest <= 5100, "%d ms", (int)longest);
	world_heal(w, FIN, SGP);
	world_run_ms(w, 5100);
	cr_assert(world_same_entry(w, FIN, SGP, CHE, 1, 1));
	/* it is acknowledged: the wait grows as before */
	world_cut(w, FIN, SGP);
	world_run_ms(w, 3600000);
	cr_assert_gt(longest_wait(w, FIN, 3600000), 60000);
	world_free(w);
}

Test(link, who_has_left_something_to_fetch_is_dialled_every_5_s)
{
	struct world *w = one_of_two();

	world_heal(w, FIN, SGP);
	world_run_ms(w, 2000);
	cr_assert_eq(state_at(w, FIN, SGP), PL_SESSION_LIVE);
	world_rate(w, 10000);
	world_submit_bulk(w, SGP, 20, 4000);
	world_run_ms(w, 3000);
	world_cut(w, FIN, SGP);
	const uint64_t have = world_durable(w, FIN, SGP, 2);
	cr_assert(have > 0 && have < 20);
	world_heal(w, FIN, SGP);
	world_run_ms(w, 2000); /* now it has told of all */
	world_cut(w, FIN, SGP);
	cr_assert_lt(world_durable(w, FIN, SGP, 2), 20);
	world_run_ms(w, 60000);
	cr_assert_leq(longest_wait(w, FIN, 3600000), 5100);
	world_rate(w, 0);
	world_heal(w, FIN, SGP);
	world_run_ms(w, 16000);
	cr_assert_eq(world_durable(w, FIN, SGP, 2), 20);
	world_cut(w, FIN, SGP);
	world_run_ms(w, 3600000);
	cr_assert_gt(longest_wait(w, FIN, 3600000), 60000);
	world_free(w);
}

Test(link, who_has_no_link_at_all_dials_every_5_s)
{
	struct world *w = one_of_two();

	world_run_ms(w, 3600000);
	world_cut(w, FIN, CHE);
	cr_assert_leq(longest_wait(w, FIN, 3600000), 5100);
	world_heal(w, FIN, SGP);
	world_run_ms(w, 5100);
	cr_assert_eq(state_at(w, FIN, SGP), PL_SESSION_LIVE);
	world_run_ms(w, 3600000);
	/* of two that are waited for, both are tried soon when the last link goes */
	world_cut(w, FIN, SGP);
	world_heal(w, FIN, CHE);
	world_run_ms(w, 5100);
	cr_assert_eq(state_at(w, FIN, CHE), PL_SESSION_LIVE);
	world_free(w);
}

Test(link, a_flash_has_those_dialled_that_are_down)
{
	for (uint16_t author = FIN; author <= CHE; author++) {
		struct world *w = one_of_two();
		/* down for long, and there again, which FIN does not know */
		world_run_ms(w, 3600000);
		struct pl_peer_info info;
		for (int s = 0; s < 1000; s++) {
			world_run_ms(w, 1000);
			pl_engine_peer(world_engine(w, FIN), SGP, &info);
			if (info.retry_ms > world_now(w) + 60000)
				break;
		}
		cr_assert_gt(info.retry_ms, world_now(w) + 60000);
		const uint32_t dials = world_dials(w, FIN);
		const uint64_t start = world_now(w);
		cr_assert_eq(world_submit(w, author, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "cut off", 7), PL_OK);
		if (author == FIN) {
			world_run_ms(w, 1);
			cr_assert_eq(world_dials(w, FIN) - dials, 1, "its own: at once");
		} else {
			world_run_ms(w, PL_REDIAL_FLASH_MS + 5);
			cr_assert_geq(world_dials(w, FIN) - dials, 1);
		}
		/* once; then as for anything that is held */
		world_run_ms(w, 60000);
		cr_assert_leq(world_dials(w, FIN) - dials, 32, "%u", world_dials(w, FIN) - dials);
		world_heal(w, FIN, SGP);
		world_run_ms(w, 5100);
		cr_assert(world_same_entry(w, FIN, SGP, author, 0, 1));
		/* where the peer is there, a FLASH brings it back */
		world_cut(w, FIN, SGP);
		world_run_ms(w, 3600000);
		world_heal(w, FIN, SGP);
		cr_assert_eq(world_submit(w, author, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "there", 5), PL_OK);
		world_run_ms(w, author == FIN ? 20 : PL_REDIAL_FLASH_MS + 20);
		cr_assert(world_same_entry(w, FIN, SGP, author, 0, 2), "after %d ms", (int)(world_now(w) - start));
		world_free(w);
	}
}

Test(link, flash_entries_over_quota_make_nobody_dial)
{
	struct world *w = world_new(3, 1);

	world_config(w, CHE)->flash_burst = 1000;
	world_link(w, FIN, CHE);
	world_link(w, FIN, SGP);
	world_start(w);
	world_run_ms(w, 100);
	world_cut(w, FIN, SGP);
	for (int i = 0; i < PL_FLASH_BURST; i++)
		cr_assert_eq(world_submit(w, CHE, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, &i, sizeof(i)), PL_OK);
	world_run_ms(w, 60000);
	for (int i = 0; i < PL_FLASH_BURST; i++)
		cr_assert_eq(world_submit(w, CHE, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, &i, sizeof(i)), PL_OK);
	world_run_ms(w, 2000);
	/* ten a minute are within it: one in six of these, and what is held has SGP dialled every 5 s at least */
	const uint32_t dials = world_dials(w, FIN);
	for (int i = 0; i < 120; i++) {
		cr_assert_eq(world_submit(w, CHE, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, &i, sizeof(i)), PL_OK);
		world_run_ms(w, 1000);
	}
	cr_assert_eq(world_durable(w, FIN, CHE, 0), 2 * PL_FLASH_BURST + 120);
	cr_assert_leq(world_dials(w, FIN) - dials, 70, "%u", world_dials(w, FIN) - dials);
	world_free(w);
}

/* How many of the nodes 1 to 14 dial within the same 50 ms, at most, in the next second. */
static uint32_t in_step(struct world *w)
{
	uint32_t most = 0, before[15];

	for (int slot = 0; slot < 20; slot++) {
		uint32_t dialling = 0;
		for (uint16_t node = 1; node < 15; node++)
			before[node] = world_dials(w, node);
		world_run_ms(w, 50);
		for (uint16_t node = 1; node < 15; node++)
			dialling += world_dials(w, node) != before[node];
		if (dialling > most)
			most = dialling;
	}
	return most;
}

Test(link, those_that_have_lost_the_same_peer_do_not_dial_it_in_step)
{
	struct world *w = world_new(16, 1);

	world_config(w, 0)->links_max = world_config(w, 15)->links_max = 15;
	for (uint16_t node = 1; node < 15; node++) {
		world_link(w, node, 0);
		world_link(w, node, 15);
	}
	world_start(w);
	world_run_ms(w, 1000);
	cr_assert_eq(state_at(w, 14, 0), PL_SESSION_LIVE);
	world_stop(w, 0);
	uint32_t most = in_step(w);
	cr_assert(most >= 1 && most <= 5, "%u when it goes", most);
	world_run_ms(w, 3600000);
	cr_assert_eq(world_submit(w, 15, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "flash", 5), PL_OK);
	most = in_step(w);
	cr_assert(most >= 1 && most <= 5, "%u when a FLASH comes", most);
	world_free(w);
}
