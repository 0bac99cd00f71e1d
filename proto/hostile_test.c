/* What one member can do to the others with its links, and what it cannot. See tests/hostile.h; for feeds, hostile_entry_test.c and its neighbours. */
#include <criterion/criterion.h>
#include <string.h>

#include "proto/handshake.h"
#include "tests/hostile.h"

Test(hostile, a_member_that_keeps_the_rules_is_served)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };

	for (int i = 0; i < 3; i++) {
		const struct made made = author_next(w, &author, 1, 0, 100);
		member_entry(eve, &made, 0);
	}
	member_flush(eve);
	member_run_ms(eve, 50);
	cr_assert(member_is_open(eve));
	cr_assert_eq(world_durable(w, CHE, EVE, 1), 3);
	cr_assert_eq(member_told(eve, PL_FRAME_ACK, EVE, 1), 3);
	cr_assert_eq(world_durable(w, FIN, EVE, 1), 3);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	member_run_ms(eve, 50);
	cr_assert_eq(member_copies(eve, FIN, 1, 1), 1);
	member_free(eve);
	world_free(w);
}

/* --- sessions --- */

Test(hostile, before_hello_only_bye_is_allowed)
{
	struct world *w = network();
	static const uint8_t zeros[2 + 2 * PL_ENTRY_HEADER_BYTES];

	for (uint8_t type = 2; type < 18; type++) {
		struct member *eve = greet(w, CHE);
		member_frame(eve, type, type > 14 ? PL_FRAME_OPTIONAL : 0, 0, zeros, type == PL_FRAME_PING ? 40 : 24);
		if (type == PL_FRAME_BYE) {
			member_flush(eve);
			member_run_ms(eve, 10);
			cr_assert_not(member_is_open(eve));
			cr_assert_eq(member_bye(eve), 0, "it is not answered");
			member_free(eve);
			continue;
		}
		check_ended(w, eve, PL_BYE_FAULT, "frame before hello");
		cr_assert_str_eq(world_last_detail(w, CHE, PL_NOTE_PEER_FAULT), "frame before hello");
	}
	world_free(w);
}

Test(hostile, hello_comes_once_whole_and_within_5_s)
{
	struct world *w = network();
	static const uint8_t zeros[PL_HELLO_BYTES];

	struct member *eve = live(w, CHE);
	member_hello(eve, NULL, 0);
	check_ended(w, eve, PL_BYE_FAULT, "hello twice");

	for (size_t count = 0; count <= PL_HELLO_BYTES; count += 10) {
		eve = greet(w, CHE);
		member_frame(eve, PL_FRAME_HELLO, 0, 0, zeros, count);
		check_ended(w, eve, PL_BYE_FAULT, "half a hello, or one of version 0");
	}

	eve = greet(w, CHE);
	member_run_ms(eve, PL_HANDSHAKE_MS_MAX - 10);
	cr_assert(member_is_open(eve));
	member_run_ms(eve, 20);
	cr_assert_not(member_is_open(eve));
	member_free(eve);
	world_free(w);
}

Test(hostile, another_charter_is_named_as_the_reason)
{
	struct world *w = network();
	uint8_t payload[PL_HELLO_BYTES];

	for (int what = 0; what < 2; what++) {
		struct member *eve = greet(w, CHE);
		struct pl_hello hello = { .version = 1, .charter_epoch = what == 0 };
		memcpy(hello.charter_hash, world_charter(w)->network_id, PL_ID_BYTES);
		hello.charter_hash[31] ^= what == 1;
		pl_hello_write(&hello, payload);
		member_frame(eve, PL_FRAME_HELLO, 0, 0, payload, sizeof(payload));
		check_ended(w, eve, PL_BYE_CHARTER, what ? "hash" : "epoch");
	}
	world_free(w);
}

Test(hostile, equal_roots_make_a_link_live_without_frontiers)
{
	struct world *w = network();
	uint8_t root[PL_ID_BYTES];

	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	world_run_ms(w, 50);
	struct member *eve = greet(w, CHE);
	pl_engine_frontier_root(world_engine(w, CHE), root);
	member_hello(eve, root, PL_CREDIT_BYTES);
	member_flush(eve);
	member_run_ms(eve, 10);
	struct pl_peer_info info;
	pl_engine_peer(world_engine(w, CHE), EVE, &info);
	cr_assert_eq(info.state, PL_SESSION_LIVE);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_FRONTIER), 0);
	cr_assert_eq(pl_engine_acked(world_engine(w, CHE), EVE, FIN, 1), 1);
	cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	member_run_ms(eve, 50);
	cr_assert_eq(member_copies(eve, FIN, 1, 1), 0, "it has said that it has this");
	cr_assert_eq(member_copies(eve, FIN, 1, 2), 1);
	member_free(eve);
	world_free(w);
}

Test(hostile, who_dials_again_has_lost_the_old_link)
{
	struct world *w = network();
	struct member *first = live(w, CHE), *second = live(w, CHE);

	member_run_ms(first, 10);
	cr_assert_not(member_is_open(first));
	cr_assert_eq(member_bye(first), PL_BYE_DUPLICATE);
	cr_assert(member_is_open(second));
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	member_run_ms(second, 50);
	cr_assert_eq(member_copies(second, CHE, 1, 1), 1);
	member_free(first);
	member_free(second);
	world_free(w);
}

Test(hostile, unknown_frames_end_the_link_unless_they_are_optional)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);

	for (int type = 15; type < 256; type++)
		member_frame(eve, (uint8_t)type, PL_FRAME_OPTIONAL | (type & 0x7f), (uint8_t)(type % 3), "what is this", 12);
	member_flush(eve);
	member_run_ms(eve, 10);
	cr_assert(member_is_open(eve));
	member_frame(eve, 15, 0x7f, 0, NULL, 0);
	check_ended(w, eve, PL_BYE_FAULT, "type 15");
	world_free(w);
}

Test(hostile, a_flag_or_a_lane_that_a_frame_does_not_have_ends_the_link)
{
	struct world *w = network();
	static const uint8_t payload[40];
	static const struct {
		uint8_t type, size, flags; /* those that it has */
	} frames[] = { { PL_FRAME_PONG, 8, 0 }, { PL_FRAME_PING, 40, 0 }, { PL_FRAME_CREDIT, 4, 0 }, { PL_FRAME_HAVE, 0, 0 }, { PL_FRAME_ACK, 0, 0 },
		       { PL_FRAME_FRONTIER, 0, PL_FRAME_LAST }, { PL_FRAME_CANCEL, 4, 0 }, { PL_FRAME_CHOKE, 4, 0 } };

	for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		for (int bit = 0; bit < 9; bit++) {
			struct member *eve = live(w, CHE);
			const uint8_t flags = bit < 8 ? (uint8_t)(1 << bit) : 0;
			member_frame(eve, frames[i].type, flags, bit == 8, payload, frames[i].size);
			if (bit < 8 && (flags & (PL_FRAME_OPTIONAL | frames[i].flags))) {
				member_flush(eve);
				member_run_ms(eve, 10);
				cr_assert(member_is_open(eve), "type %u, flag %u", frames[i].type, flags);
				member_free(eve);
			} else {
				check_ended(w, eve, PL_BYE_FAULT, "flag or lane");
			}
		}
	}
	world_free(w);
}

Test(hostile, control_frames_of_another_size_end_the_link)
{
	struct world *w = network();
	static const struct {
		uint8_t type;
		uint16_t size, unit; /* the right one; multiples are right, too */
	} frames[] = { { PL_FRAME_FRONTIER, 24, 24 }, { PL_FRAME_HAVE, 24, 24 }, { PL_FRAME_ACK, 24, 24 }, { PL_FRAME_WANT, 24, 0 },
		       { PL_FRAME_CANCEL, 4, 0 }, { PL_FRAME_CHOKE, 4, 0 }, { PL_FRAME_CREDIT, 4, 0 }, { PL_FRAME_PING, 40, 0 }, { PL_FRAME_PONG, 8, 0 },
		       { PL_FRAME_FORK, 466, 0 } };
	static uint8_t payload[PL_FRAME_PAYLOAD_BYTES_MAX];

	for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		const uint32_t sizes[] = { 0, 1, frames[i].size - 1u, frames[i].size + 1u, 2 * frames[i].size + 1u, PL_FRAME_PAYLOAD_BYTES_MAX };
		for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
			if (frames[i].unit && sizes[k] % frames[i].unit == 0)
				continue;
			struct member *eve = live(w, CHE);
			memset(payload, 0, sizeof(payload));
			payload[15] = payload[23] = 1; /* a seq; a want's to */
			member_frame(eve, frames[i].type, 0, 0, payload, sizes[k]);
			check_ended(w, eve, PL_BYE_FAULT, "size");
		}
	}
	world_free(w);
}

Test(hostile, what_has_no_meaning_yet_is_zero)
{
	struct world *w = network();

	for (int is_choke = 0; is_choke < 2; is_choke++) {
		for (int bit = 0; bit < 8; bit++) {
			struct member *eve = live(w, CHE);
			const uint8_t payload[4] = { [1] = FIN, [3] = (uint8_t)(1 << bit) };
			member_frame(eve, is_choke ? PL_FRAME_CHOKE : PL_FRAME_CANCEL, 0, 0, payload, sizeof(payload));
			check_ended(w, eve, PL_BYE_FAULT, is_choke ? "CHOKE" : "CANCEL");
		}
	}
	world_free(w);
}

Test(hostile, items_of_what_does_not_exist_end_the_link)
{
	struct world *w = network();

	for (uint8_t type = PL_FRAME_FRONTIER; type <= PL_FRAME_ACK; type++) {
		for (int what = 0; what < 4; what++) {
			struct member *eve = live(w, CHE);
			uint8_t payload[PL_ITEM_BYTES] = { [1] = FIN, [7] = 1, [15] = 1 };
			if (what == 0)
				payload[1] = 4; /* nodes 0 to 3 are */
			else if (what == 1)
				payload[2] = PL_LANES;
			else if (what == 2)
				payload[3] = 1;
			else
				payload[15] = 0; /* seq */
			member_frame(eve, type, 0, 0, payload, sizeof(payload));
			check_ended(w, eve, PL_BYE_FAULT, "item");
		}
		/* another generation may be a later charter's */
		struct member *eve = live(w, CHE);
		uint8_t payload[PL_ITEM_BYTES] = { [1] = FIN, [7] = 2, [15] = 1 };
		member_frame(eve, type, 0, 0, payload, sizeof(payload));
		member_flush(eve);
		member_run_ms(eve, 100);
		cr_assert(member_is_open(eve));
		cr_assert_eq(member_heard_of(eve, PL_FRAME_WANT), 0);
		member_free(eve);
	}
	world_free(w);
}

Test(hostile, a_record_played_again_left_out_or_out_of_order_ends_the_link)
{
	struct world *w = network();
	static uint8_t one[PL_RECORD_WIRE_BYTES_MAX], two[PL_RECORD_WIRE_BYTES_MAX];

	for (int what = 0; what < 3; what++) {
		struct member *eve = live(w, CHE);
		static const uint8_t pong[8];
		member_frame(eve, PL_FRAME_PONG, 0, 0, pong, sizeof(pong));
		const size_t one_bytes = member_seal(eve, one);
		member_frame(eve, PL_FRAME_PONG, 0, 0, pong, sizeof(pong));
		const size_t two_bytes = member_seal(eve, two);
		if (what == 0) {
			member_raw(eve, one, one_bytes);
			member_raw(eve, one, one_bytes);
		} else {
			member_raw(eve, two, two_bytes);
			member_raw(eve, one, one_bytes);
		}
		member_run_ms(eve, 10);
		cr_assert_not(member_is_open(eve));
		cr_assert_eq(member_bye(eve), PL_BYE_FAULT);
		cr_assert_str_eq(world_last_detail(w, CHE, PL_NOTE_LINK_BROKEN), "record does not decrypt");
		cr_assert_eq(world_notes(w, CHE, PL_NOTE_PEER_FAULT), 0, "it can be the wire");
		member_free(eve);
	}
	world_free(w);
}

Test(hostile, a_record_that_trickles_in_is_cut_after_ten_seconds_but_a_thin_link_is_not)
{
	struct world *w = network();
	static uint8_t record[PL_RECORD_WIRE_BYTES_MAX];
	static const uint8_t filler[PL_FRAME_PAYLOAD_BYTES_MAX];

	for (int thin = 0; thin < 2; thin++) {
		struct member *eve = live(w, CHE);
		member_frame(eve, 99, PL_FRAME_OPTIONAL, 0, filler, sizeof(filler));
		member_mute(eve); /* a PONG would come between */
		const size_t record_bytes = member_seal(eve, record), piece = thin ? 300 : 200; /* a second */
		uint64_t ms = 0;
		for (size_t at = 0; at < record_bytes && member_is_open(eve); ms += 1000) {
			const size_t count = piece < record_bytes - at ? piece : record_bytes - at;
			member_raw(eve, record + at, count);
			member_run_ms(eve, 1000);
			at += count;
		}
		cr_assert_eq(member_is_open(eve), thin == 1, "after %d ms", (int)ms);
		if (!thin)
			cr_assert(ms >= 10000 && ms <= 12000, "cut after %d ms", (int)ms);
		member_free(eve);
	}
	world_free(w);
}

Test(hostile, half_a_handshake_is_worth_five_seconds)
{
	struct world *w = network();

	for (size_t bytes = 1; bytes < PL_HANDSHAKE_BYTES_1; bytes += 19) {
		static const uint8_t start[PL_HANDSHAKE_BYTES_1] = { 0, PL_HANDSHAKE_BYTES_1 - 2 };
		const uint32_t link = world_raw_connect(w, CHE);
		for (size_t at = 0; at < bytes; at++) {
			world_raw_send(w, link, start + at, 1);
			world_run_ms(w, 10);
		}
		world_run_ms(w, PL_HANDSHAKE_MS_MAX - 10 * bytes - 20);
		cr_assert(world_raw_open(w, link));
		world_run_ms(w, 40);
		cr_assert_not(world_raw_open(w, link));
		world_raw_close(w, link);
	}
	world_free(w);
}

Test(hostile, sixty_four_half_open_handshakes_and_no_more_and_members_go_on)
{
	struct world *w = network();
	uint32_t links[70];

	for (uint32_t i = 0; i < 70; i++)
		links[i] = world_raw_connect_from(w, CHE, 1000 + i);
	world_run_ms(w, 10);
	for (uint32_t i = 0; i < 70; i++)
		cr_assert_eq(world_raw_open(w, links[i]), i >= 70 - PL_HANDSHAKES_MAX, "connection %u: those that came first give way", i);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "f", 1), PL_OK);
	world_run_ms(w, 50);
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 1);
	/* one that had a link and lost it is back when the crowd has been cut */
	world_cut(w, SGP, CHE);
	world_heal(w, SGP, CHE);
	world_run_ms(w, PL_HANDSHAKE_MS_MAX + PL_BACKOFF_HELD_MS_MAX + 100);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "g", 1), PL_OK);
	world_run_ms(w, 50);
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 2);
	world_free(w);
}

static uint32_t connect_and_say_nothing(struct world *w, uint64_t address_hash)
{
	return world_raw_connect_from(w, CHE, address_hash);
}

/* A connection with a first message as any can write it who has the charter. */
static uint32_t connect_and_speak(struct world *w, uint64_t address_hash)
{
	static uint64_t count;
	const uint32_t link = world_raw_connect_from(w, CHE, address_hash);
	const struct pl_charter *charter = world_charter(w);
	const struct pl_handshake_keys keys = { .network_id = charter->network_id, .static_secret = charter->network_id,
	                                        .remote_static = charter->nodes[CHE].certificate.noise_public };
	struct pl_handshake handshake;
	uint8_t ephemeral[32] = { 1 }, message[PL_HANDSHAKE_BYTES_1];

	count++;
	memcpy(ephemeral + 8, &count, sizeof(count));
	cr_assert_eq(pl_handshake_dial(&handshake, &keys, ephemeral, world_wall(w), message), PL_OK);
	world_raw_send(w, link, message, sizeof(message));
	return link;
}

/* As many hosts as it takes connect, and come again whenever they are cut. A member that has never been here, and one that was, get in. */
static void crowd(uint32_t (*connect)(struct world *w, uint64_t address_hash), size_t answered_bytes, uint64_t every_ms)
{
	struct world *w = network();
	uint32_t links[PL_HANDSHAKES_MAX] = { 0 };
	struct pl_peer_info info;
	bool back = false;

	world_cut(w, SGP, CHE);
	for (uint32_t i = 0; i < PL_HANDSHAKES_MAX; i++)
		links[i] = connect(w, 1000 + i);
	world_run_ms(w, 10);
	for (uint32_t i = 0; i < PL_HANDSHAKES_MAX; i++)
		cr_assert_eq(world_raw_received(w, links[i]), answered_bytes, "connection %u", i);
	struct member *eve = member_dial(w, EVE, CHE);
	cr_assert_not_null(eve, "one that has never been here");
	world_heal(w, SGP, CHE);
	for (uint64_t ms = 0; ms < 2 * PL_BACKOFF_HELD_MS_MAX && !back; ms += every_ms) {
		for (uint32_t i = 0; i < PL_HANDSHAKES_MAX; i++) {
			if (world_raw_open(w, links[i]))
				continue;
			world_raw_close(w, links[i]);
			links[i] = connect(w, 1000 + i);
		}
		world_run_ms(w, every_ms);
		pl_engine_peer(world_engine(w, CHE), SGP, &info);
		back = info.state == PL_SESSION_LIVE;
	}
	cr_assert(back);
	member_free(eve);
	world_free(w);
}

Test(hostile, a_crowd_that_says_nothing_keeps_no_member_out)
{
	crowd(connect_and_say_nothing, 0, 50);
}

Test(hostile, a_crowd_that_knows_the_charter_keeps_no_member_out)
{
	crowd(connect_and_speak, PL_HANDSHAKE_BYTES_2, 10);
}

Test(hostile, who_comes_from_where_a_member_was_is_not_pushed_out)
{
	struct world *w = network();
	uint32_t crowd[PL_HANDSHAKES_MAX];

	member_free(live(w, CHE));
	const uint32_t silent_member = world_raw_connect_from(w, CHE, WORLD_TEST_ADDRESS + EVE), first = world_raw_connect_from(w, CHE, 999);
	for (uint32_t i = 0; i < PL_HANDSHAKES_MAX; i++)
		crowd[i] = world_raw_connect_from(w, CHE, 1000 + i);
	world_run_ms(w, 10);
	cr_assert(world_raw_open(w, silent_member));
	cr_assert_not(world_raw_open(w, first));
	cr_assert_not(world_raw_open(w, crowd[0]));
	cr_assert(world_raw_open(w, crowd[1]));
	world_free(w);
}

Test(hostile, when_all_links_are_in_use_a_further_member_disturbs_nobody)
{
	struct world *w = world_new(4, 1);
	struct pl_peer_info info;

	world_play(w, EVE);
	world_config(w, CHE)->links_max = 2;
	world_link(w, FIN, CHE);
	world_link(w, SGP, CHE);
	world_start(w);
	world_run_ms(w, 100);
	struct member *eve = member_dial(w, EVE, CHE);
	world_run_ms(w, 10);
	cr_assert_not(member_is_open(eve));
	cr_assert_str_eq(world_last_detail(w, CHE, PL_NOTE_HANDSHAKE_FAILED), "all links are in use (links_max)");
	member_free(eve);
	for (uint16_t node = 0; node < 3; node += 2) {
		pl_engine_peer(world_engine(w, CHE), node, &info);
		cr_assert_eq(info.state, PL_SESSION_LIVE);
	}
	world_cut(w, SGP, CHE);
	eve = live(w, CHE);
	cr_assert(member_is_open(eve));
	member_free(eve);
	world_free(w);
}

Test(hostile, a_peer_that_takes_nothing_or_says_nothing_is_given_up_and_nobody_waits_for_it)
{
	for (int silent = 0; silent < 2; silent++) {
		struct world *w = network();
		struct member *eve = live(w, CHE);
		if (silent)
			member_mute(eve);
		else
			member_stall(eve);
		world_submit_bulk(w, CHE, 500, 2000); /* more than is kept in memory for one link */
		const uint64_t start = world_now(w);
		for (int i = 0; i < 29; i++) {
			if (!silent)
				member_frame(eve, PL_FRAME_PONG, 0, 0, "12345678", 8); /* it speaks, but reads nothing */
			member_flush(eve);
			member_run_ms(eve, 1000);
		}
		cr_assert(member_is_open(eve));
		cr_assert_eq(world_durable(w, SGP, CHE, 2), 500);
		member_run_ms(eve, 2000 + (silent ? 0 : 1000));
		cr_assert_not(member_is_open(eve), "silent %d: open after %d ms", silent, (int)(world_now(w) - start));
		member_free(eve);
		world_free(w);
	}
}

Test(hostile, a_direction_may_be_rekeyed)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	static const uint8_t pong[8];
	struct pl_engine_counters counters;

	for (uint32_t i = 0; i < PL_RECORDS_PER_KEY + 100; i++) {
		member_frame(eve, PL_FRAME_PONG, 0, 0, pong, sizeof(pong));
		member_flush(eve);
		if (i % 4096 == 0)
			member_run_ms(eve, 2);
	}
	member_run_ms(eve, 10);
	cr_assert(member_is_open(eve));
	pl_engine_counters(world_engine(w, CHE), &counters);
	cr_assert_gt(counters.records_in, PL_RECORDS_PER_KEY);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	member_run_ms(eve, 50);
	cr_assert_eq(member_copies(eve, CHE, 1, 1), 1);
	member_free(eve);
	world_free(w);
}

Test(hostile, a_session_that_a_node_has_dialled_is_renewed_by_it_after_an_hour)
{
	struct world *w = network();

	world_link(w, CHE, EVE);
	world_run_ms(w, 10);
	struct member *eve = member_accept(w, EVE);
	cr_assert_not_null(eve);
	member_go_live(eve);
	member_run_ms(eve, PL_SESSION_MS_MAX - 20000);
	cr_assert(member_is_open(eve));
	for (int s = 0; s < 40 && member_is_open(eve); s++)
		member_run_ms(eve, 1000);
	cr_assert_eq(member_bye(eve), PL_BYE_RENEW);
	member_free(eve);
	eve = member_accept(w, EVE);
	cr_assert_not_null(eve, "and it has dialled again at once");
	member_free(eve);
	world_free(w);
}
