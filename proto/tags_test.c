/* Frontiers by tags: what two nodes tell each other when a link comes up and later, what a member can do that lies in them, and networks in which
 * not all know tags. Stories as in hostile_test.c: EVE has the right keys and is played by the test. Four nodes: three groups, of four lanes each. */
#include "proto/parts.h"
#include "tests/hostile.h"

#define GROUPS 3
#define GROUP_LANES 4
#define TAGS_BYTES (GROUPS * PL_TAG_BYTES)

/* FIN, CHE and SGP have said something in each lane: nine heads. */
static struct world *talkative(void)
{
	struct world *w = network();

	for (uint16_t node = FIN; node <= SGP; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			cr_assert_eq(world_submit(w, node, lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	}
	cr_assert(world_converges(w, 1000));
	world_run_ms(w, 100);
	return w;
}

/* What CHE holds, as EVE would tag it. */
static void tags_of_che(struct world *w, uint8_t tags[TAGS_BYTES])
{
	for (uint32_t group = 0; group < GROUPS; group++)
		pl_tag(member_salt, pl_digests(world_engine(w, CHE))[group], tags + group * PL_TAG_BYTES);
}

/* The seq that HEADS have named last for a lane; UINT64_MAX: its group was not told. */
static uint64_t told(const struct member *eve, uint16_t node, uint8_t lane)
{
	uint64_t found = UINT64_MAX;

	for (size_t i = 0; i < member_heard_count(eve); i++) {
		const struct member_heard *h = member_heard(eve, i);
		for (size_t at = 0; h->type == PL_FRAME_HEADS && at < h->payload_bytes;) {
			const uint32_t group = h->payload[at++];
			cr_assert_lt(group, GROUPS);
			for (uint32_t n = 0; n < GROUP_LANES; n++) {
				const uint8_t *tag;
				uint64_t seq;
				cr_assert_eq(pl_lane_head_read(h->payload, h->payload_bytes, &at, &seq, &tag), PL_OK);
				if (n == node && group == lane)
					found = seq;
			}
		}
	}
	return found;
}

static uint64_t acked(struct world *w, uint16_t node, uint8_t lane) { return pl_engine_acked(world_engine(w, CHE), EVE, node, lane); }

static enum pl_session_state state(struct world *w)
{
	struct pl_peer_info info;

	pl_engine_peer(world_engine(w, CHE), EVE, &info);
	return info.state;
}

/* HEADS of one group, of which each lane has this head; tags as of these ids. */
static void say_heads(struct member *eve, uint8_t flags, uint32_t group, const uint64_t seqs[GROUP_LANES], const uint8_t *const ids[GROUP_LANES])
{
	uint8_t payload[1 + GROUP_LANES * PL_LANE_HEAD_BYTES_MAX] = { (uint8_t)group }, tag[PL_TAG_BYTES];
	size_t bytes = 1;

	for (int n = 0; n < GROUP_LANES; n++) {
		if (seqs[n] > 0)
			pl_tag(member_salt, ids[n], tag);
		bytes += pl_lane_head_write(seqs[n], tag, payload + bytes);
	}
	member_frame(eve, PL_FRAME_HEADS, flags, 0, payload, bytes);
}

static void end_frontier(struct member *eve)
{
	member_frame(eve, PL_FRAME_HEADS, PL_FRAME_LAST, 0, NULL, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
}

/* A link on which both have told everything of all groups: EVE's HELLO has no tags. */
static struct member *live_with_tags(struct world *w)
{
	struct member *eve = greet(w, CHE);

	member_hello_tags(eve, NULL, NULL, 0);
	end_frontier(eve);
	cr_assert(member_is_open(eve));
	return eve;
}

static void ping(struct member *eve, const uint8_t *root)
{
	uint8_t payload[8 + PL_ID_BYTES] = { 0 };

	if (root)
		memcpy(payload + 8, root, PL_ID_BYTES);
	member_frame(eve, PL_FRAME_PING, 0, 0, payload, sizeof(payload));
	member_flush(eve);
	member_run_ms(eve, 10);
}

/* --- HELLO --- */

Test(tags, of_what_differs_the_heads_are_told_and_what_is_equal_is_acknowledged)
{
	struct world *w = talkative();
	struct member *eve = greet(w, CHE);
	uint8_t tags[TAGS_BYTES];

	tags_of_che(w, tags);
	tags[1 * PL_TAG_BYTES + 7] ^= 1;
	member_hello_tags(eve, NULL, tags, GROUPS);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(told(eve, SGP, 1), 1);
	cr_assert_eq(told(eve, EVE, 1), 0, "it shares a group with that");
	cr_assert_eq(member_heard_of(eve, PL_FRAME_HEADS), 1);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_FRONTIER), 0);
	cr_assert_eq(state(w), PL_SESSION_RECON, "EVE has not told what it has of that group");
	for (uint16_t node = FIN; node <= SGP; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			const bool is_told = lane == 1;
			cr_assert_eq(told(eve, node, lane) != UINT64_MAX, is_told);
			cr_assert_eq(acked(w, node, lane), !is_told, "node %u lane %u", node, lane);
		}
	}
	end_frontier(eve);
	cr_assert_eq(state(w), PL_SESSION_LIVE);
	/* what is equal goes on from there; what it lacks of the other it has to ask for */
	cr_assert_eq(world_submit(w, FIN, 2, PL_KIND_INDICATORS, 0, "y", 1), PL_OK);
	cr_assert_eq(world_submit(w, SGP, 1, PL_KIND_MESSAGE, 0, "z", 1), PL_OK);
	member_run_ms(eve, 50);
	cr_assert_eq(member_copies(eve, FIN, 2, 1), 0);
	cr_assert_eq(member_copies(eve, FIN, 2, 2), 1);
	cr_assert_eq(member_copies(eve, SGP, 1, 2), 0);
	cr_assert_eq(member_told(eve, PL_FRAME_HAVE, SGP, 1), 2);
	member_free(eve);
	world_free(w);
}

Test(tags, hello_says_what_the_protocol_says)
{
	struct world *w = talkative();
	struct pl_hello hello[2];

	for (int link = 0; link < 2; link++) {
		struct member *eve = greet(w, CHE);
		member_listen(eve);
		cr_assert(member_heard_hello(eve, &hello[link]));
		cr_assert_eq(hello[link].capabilities, PL_CAP_TAGS);
		cr_assert_eq(hello[link].tags_count, GROUPS);
		for (uint32_t group = 0; group < GROUPS; group++) {
			uint8_t tag[PL_TAG_BYTES];
			pl_tag(hello[link].salt, pl_digests(world_engine(w, CHE))[group], tag);
			cr_assert_arr_eq(tag, hello[link].tags + group * PL_TAG_BYTES, PL_TAG_BYTES);
		}
		hello[link].tags = NULL;
		member_free(eve);
		world_run_ms(w, 10);
	}
	cr_assert_neq(memcmp(hello[0].salt, hello[1].salt, PL_SALT_BYTES), 0, "each link has its own");
	world_free(w);
	/* who holds little says it at once */
	w = network();
	struct member *eve = greet(w, CHE);
	member_listen(eve);
	cr_assert(member_heard_hello(eve, &hello[0]));
	cr_assert_eq(hello[0].capabilities, PL_CAP_TAGS);
	cr_assert_eq(hello[0].tags_count, 0);
	member_free(eve);
	world_free(w);
}

Test(tags, without_tags_of_both_all_heads_are_told)
{
	struct world *w = talkative();
	struct member *eve = live_with_tags(w);

	cr_assert_eq(state(w), PL_SESSION_LIVE);
	for (uint16_t node = FIN; node <= SGP; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			cr_assert_eq(told(eve, node, lane), 1);
			cr_assert_eq(acked(w, node, lane), 0);
		}
	}
	member_free(eve);
	world_free(w);
}

Test(tags, what_moves_between_hello_and_heads_is_told_or_pushed_and_not_both)
{
	struct world *w = talkative();
	struct member *eve = greet(w, CHE);
	uint8_t tags[TAGS_BYTES];
	struct pl_lane_info first;

	tags_of_che(w, tags);
	tags[1 * PL_TAG_BYTES] ^= 1;
	pl_engine_lane(world_engine(w, CHE), SGP, 1, &first);
	cr_assert_eq(world_submit(w, FIN, 2, PL_KIND_INDICATORS, 0, "y", 1), PL_OK);
	cr_assert_eq(world_submit(w, SGP, 1, PL_KIND_MESSAGE, 0, "z", 1), PL_OK);
	member_run_ms(eve, 30);
	/* the tags are those of before: compared with what CHE's HELLO stood for, that of FIN's lane is equal */
	member_hello_tags(eve, NULL, tags, GROUPS);
	say_heads(eve, 0, 1, (const uint64_t[]){ 0, 0, 1, 0 }, (const uint8_t *const[]){ NULL, NULL, first.head_id, NULL });
	end_frontier(eve);
	cr_assert_eq(state(w), PL_SESSION_LIVE);
	member_run_ms(eve, 50);
	cr_assert_eq(told(eve, FIN, 2), UINT64_MAX);
	cr_assert_eq(acked(w, FIN, 2), 1, "that is what it had then");
	cr_assert_eq(member_copies(eve, FIN, 2, 1), 0);
	cr_assert_eq(member_copies(eve, FIN, 2, 2), 1, "and this it is pushed");
	cr_assert_eq(told(eve, SGP, 1), 2);
	cr_assert_eq(acked(w, SGP, 1), 1);
	cr_assert_eq(member_copies(eve, SGP, 1, 2), 0, "this it was told of, and may ask for");
	member_want(eve, SGP, 1, 2, 2, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert(member_copies(eve, SGP, 1, 1) == 0 && member_copies(eve, SGP, 1, 2) == 1);
	member_free(eve);
	world_free(w);
}

/* --- lies --- */

Test(tags, who_says_that_it_holds_what_it_does_not_may_still_ask)
{
	struct world *w = talkative();
	struct member *eve = greet(w, CHE);
	uint8_t tags[TAGS_BYTES];

	tags_of_che(w, tags);
	tags[0] ^= 1; /* or there would be nothing to tell */
	member_hello_tags(eve, NULL, tags, GROUPS);
	end_frontier(eve);
	cr_assert_eq(acked(w, FIN, 1), 1, "its word is all that there is");
	member_want(eve, FIN, 1, 1, 1, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(member_copies(eve, FIN, 1, 1), 1);
	cr_assert(member_is_open(eve));
	member_free(eve);
	world_free(w);
}

Test(tags, a_group_for_which_there_is_no_tag_holds_nothing)
{
	struct world *w = talkative();
	struct member *eve = greet(w, CHE);
	uint8_t tags[TAGS_BYTES];

	tags_of_che(w, tags);
	member_hello_tags(eve, NULL, tags, GROUPS - 1);
	end_frontier(eve);
	cr_assert_eq(state(w), PL_SESSION_LIVE);
	cr_assert(told(eve, FIN, 2) == 1 && acked(w, FIN, 2) == 0);
	cr_assert(told(eve, FIN, 1) == UINT64_MAX && acked(w, FIN, 1) == 1);
	member_free(eve);
	world_free(w);
	/* and where the node holds nothing either, that is equal */
	w = network();
	for (uint16_t node = FIN; node <= SGP; node++) {
		for (uint8_t lane = 0; lane < 2; lane++)
			cr_assert_eq(world_submit(w, node, lane, PL_KIND_MESSAGE, 0, "x", 1), PL_OK);
	}
	cr_assert(world_converges(w, 1000));
	eve = greet(w, CHE);
	struct pl_hello hello;
	member_listen(eve);
	cr_assert(member_heard_hello(eve, &hello));
	cr_assert_eq(hello.tags_count, GROUPS - 1);
	tags_of_che(w, tags);
	tags[0] ^= 1;
	member_hello_tags(eve, NULL, tags, 2);
	end_frontier(eve);
	cr_assert(told(eve, FIN, 0) == 1 && told(eve, FIN, 1) == UINT64_MAX && told(eve, FIN, 2) == UINT64_MAX);
	member_free(eve);
	world_run_ms(w, 10);
	eve = greet(w, CHE);
	tags_of_che(w, tags);
	member_hello_tags(eve, NULL, tags, 2);
	check_ended(w, eve, PL_BYE_FAULT, "another root, and nothing differs");
	world_free(w);
}

Test(tags, of_equal_roots_the_tags_do_not_matter)
{
	struct world *w = talkative();
	struct member *eve = greet(w, CHE);
	uint8_t tags[TAGS_BYTES] = { 0 }, root[PL_ID_BYTES];

	pl_engine_frontier_root(world_engine(w, CHE), root);
	member_hello_tags(eve, root, tags, GROUPS);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(state(w), PL_SESSION_LIVE);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_HEADS), 0);
	cr_assert_eq(acked(w, SGP, 2), 1);
	member_free(eve);
	world_free(w);
}

Test(tags, tags_of_which_none_fits_bring_a_whole_frontier_and_no_acknowledgement)
{
	struct world *w = talkative();
	struct member *eve = greet(w, CHE);
	uint8_t tags[TAGS_BYTES];

	memset(tags, 0xaa, sizeof(tags));
	member_hello_tags(eve, NULL, tags, GROUPS);
	end_frontier(eve);
	for (uint16_t node = FIN; node <= SGP; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			cr_assert(told(eve, node, lane) == 1 && acked(w, node, lane) == 0);
	}
	cr_assert_eq(state(w), PL_SESSION_LIVE);
	member_free(eve);
	world_free(w);
}

Test(tags, another_root_with_the_same_tags_ends_the_link)
{
	struct world *w = talkative();
	struct member *eve = greet(w, CHE);
	uint8_t tags[TAGS_BYTES];

	tags_of_che(w, tags);
	member_hello_tags(eve, NULL, tags, GROUPS);
	check_ended(w, eve, PL_BYE_FAULT, "another root");
	world_free(w);
}

/* --- forms --- */

Test(tags, a_hello_with_too_many_tags_or_cut_off_ends_the_link)
{
	struct world *w = talkative();
	static uint8_t tags[PL_GROUPS_MAX * PL_TAG_BYTES], payload[PL_HELLO_BYTES_MAX];
	static const uint16_t counts[] = { GROUPS + 1, PL_GROUPS_MAX };
	struct pl_hello hello = { .version = 1, .capabilities = PL_CAP_TAGS, .tags = tags, .tags_count = GROUPS };

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct member *eve = greet(w, CHE);
		member_hello_tags(eve, NULL, tags, counts[i]);
		check_ended(w, eve, PL_BYE_FAULT, "number");
	}
	memcpy(hello.charter_hash, world_charter(w)->network_id, PL_ID_BYTES);
	const size_t bytes = pl_hello_write(&hello, payload);
	for (size_t count = 0; count < bytes; count++) {
		struct member *eve = greet(w, CHE);
		member_frame(eve, PL_FRAME_HELLO, 0, 0, payload, count);
		check_ended(w, eve, PL_BYE_FAULT, "cut off");
	}
	pl_put16(payload + 88, 0xffff);
	struct member *eve = greet(w, CHE);
	member_frame(eve, PL_FRAME_HELLO, 0, 0, payload, bytes);
	check_ended(w, eve, PL_BYE_FAULT, "more tags than there are");
	/* what a later version appends is ignored */
	pl_put16(payload + 88, GROUPS);
	eve = greet(w, CHE);
	member_frame(eve, PL_FRAME_HELLO, 0, 0, payload, bytes + 5);
	member_flush(eve);
	member_run_ms(eve, 10);
	cr_assert(member_is_open(eve));
	member_free(eve);
	world_free(w);
}

Test(tags, malformed_heads_and_tags_end_the_link)
{
	struct world *w = talkative();
	uint8_t payload[2 * PL_HELLO_BYTES_MAX] = { GROUPS - 1, 1, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0 };
	enum { whole = 1 + 10 + 1 + 11 + 1 };

	for (size_t count = 1; count <= whole; count++) {
		struct member *eve = live_with_tags(w);
		member_frame(eve, PL_FRAME_HEADS, 0, 0, payload, count);
		if (count < whole) {
			check_ended(w, eve, PL_BYE_FAULT, "heads cut off");
			continue;
		}
		member_flush(eve);
		member_run_ms(eve, 10);
		cr_assert(member_is_open(eve));
		member_free(eve);
		world_run_ms(w, 1);
	}
	for (int what = 0; what < 4; what++) {
		static const uint8_t wrong[4][2] = { { 0, GROUPS }, { 0, 255 }, { 1, 9 }, { 2, 0 } };
		struct member *eve = live_with_tags(w);
		uint8_t copy[whole];
		memcpy(copy, payload, whole);
		copy[wrong[what][0]] = wrong[what][1];
		member_frame(eve, PL_FRAME_HEADS, 0, 0, copy, whole);
		check_ended(w, eve, PL_BYE_FAULT, "heads of no form");
	}
	static const uint32_t sizes[] = { 1, TAGS_BYTES - 1, TAGS_BYTES + 1, TAGS_BYTES + PL_TAG_BYTES, sizeof(payload) };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct member *eve = live_with_tags(w);
		member_frame(eve, PL_FRAME_TAGS, 0, 0, payload, sizes[i]);
		check_ended(w, eve, PL_BYE_FAULT, "tags");
	}
	/* flags and lanes; and both from a node that has not said that it knows them */
	for (uint8_t type = PL_FRAME_TAGS; type <= PL_FRAME_HEADS; type++) {
		for (int bit = 0; bit < 9; bit++) {
			const uint8_t flags = bit < 8 ? (uint8_t)(1 << bit) : 0;
			struct member *eve = live_with_tags(w);
			member_frame(eve, type, flags, bit == 8, payload, type == PL_FRAME_TAGS ? TAGS_BYTES : 0);
			if (flags == PL_FRAME_OPTIONAL || (flags == PL_FRAME_LAST && type == PL_FRAME_HEADS)) {
				member_flush(eve);
				member_run_ms(eve, 10);
				cr_assert(member_is_open(eve));
				member_free(eve);
			} else {
				check_ended(w, eve, PL_BYE_FAULT, "flag or lane");
			}
		}
		struct member *eve = live(w, CHE);
		member_frame(eve, type, 0, 0, payload, type == PL_FRAME_TAGS ? TAGS_BYTES : 0);
		check_ended(w, eve, PL_BYE_FAULT, "unknown to it");
	}
	world_free(w);
}

/* --- heads --- */

Test(tags, a_head_acknowledges_what_it_names_now_or_when_it_is_here)
{
	struct world *w = talkative();
	struct member *eve = live_with_tags(w);
	struct author author = { .node = EVE };
	const struct made first = author_next(w, &author, 1, 0, 20), second = author_next(w, &author, 1, 0, 20);
	struct pl_lane_info info;
	struct pl_want want;

	pl_engine_lane(world_engine(w, CHE), SGP, 1, &info);
	say_heads(eve, 0, 1, (const uint64_t[]){ 0, 0, 1, 2 }, (const uint8_t *const[]){ NULL, NULL, info.head_id, second.id });
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(acked(w, SGP, 1), 1);
	cr_assert(member_asked(eve, EVE, 1, &want) && want.from == 1 && want.to == 2, "asked at once");
	cr_assert_eq(acked(w, EVE, 1), 0);
	member_entry(eve, &first, PL_FRAME_CATCHUP);
	member_entry(eve, &second, PL_FRAME_CATCHUP);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(acked(w, EVE, 1), 2);
	/* SGP's second: named with another's id, and with its own */
	cr_assert_eq(world_submit(w, SGP, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	world_run_ms(w, 50);
	cr_assert_eq(acked(w, SGP, 1), 1, "it was pushed this, and has not answered");
	pl_engine_lane(world_engine(w, SGP), SGP, 1, &info);
	member_forget(eve);
	say_heads(eve, 0, 1, (const uint64_t[]){ 0, 0, 2, 2 }, (const uint8_t *const[]){ NULL, NULL, second.id, second.id });
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(acked(w, SGP, 1), 1, "it is not what CHE has there");
	cr_assert(member_asked(eve, SGP, 1, &want) && want.from == 2 && (want.flags & PL_WANT_FULL), "which is looked into");
	say_heads(eve, 0, 1, (const uint64_t[]){ 0, 0, 2, 2 }, (const uint8_t *const[]){ NULL, NULL, info.head_id, second.id });
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(acked(w, SGP, 1), 2);
	/* its third, before it is here: another's id, and then its own */
	say_heads(eve, 0, 1, (const uint64_t[]){ 0, 0, 3, 0 }, (const uint8_t *const[]){ NULL, NULL, second.id, NULL });
	member_flush(eve);
	cr_assert_eq(world_submit(w, SGP, 1, PL_KIND_MESSAGE, 0, "z", 1), PL_OK);
	member_run_ms(eve, 50);
	cr_assert_eq(world_durable(w, CHE, SGP, 1), 3);
	cr_assert_eq(acked(w, SGP, 1), 2, "it has named something else");
	pl_engine_lane(world_engine(w, CHE), SGP, 1, &info);
	say_heads(eve, 0, 1, (const uint64_t[]){ 0, 0, 3, 0 }, (const uint8_t *const[]){ NULL, NULL, info.head_id, NULL });
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(acked(w, SGP, 1), 3);
	member_free(eve);
	world_free(w);
}

Test(tags, heads_name_only_what_is_durable_and_by_tags_of_the_senders_salt)
{
	struct world *w = talkative();
	struct pl_lane_info info;
	struct pl_hello hello;
	uint8_t expected[PL_TAG_BYTES];
	const uint8_t *tag = NULL;
	uint64_t seq = 0;

	world_latency(w, 1, 1000);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	world_run_ms(w, 500);
	struct member *eve = live_with_tags(w);
	pl_engine_lane(world_engine(w, CHE), CHE, 1, &info);
	cr_assert(info.have_seq == 2 && info.durable_seq == 1);
	cr_assert_eq(told(eve, CHE, 1), 1);
	cr_assert(member_heard_hello(eve, &hello));
	pl_tag(hello.salt, info.head_id, expected);
	for (size_t i = 0; i < member_heard_count(eve); i++) {
		const struct member_heard *h = member_heard(eve, i);
		for (size_t at = 0; h->type == PL_FRAME_HEADS && at < h->payload_bytes;) {
			const uint32_t group = h->payload[at++];
			for (uint32_t n = 0; n < GROUP_LANES; n++) {
				const uint8_t *found;
				cr_assert_eq(pl_lane_head_read(h->payload, h->payload_bytes, &at, &seq, &found), PL_OK);
				if (group == 1 && n == CHE)
					tag = found;
			}
		}
	}
	cr_assert_not_null(tag);
	cr_assert_arr_eq(tag, expected, PL_TAG_BYTES);
	member_free(eve);
	world_free(w);
}

/* A node that may have been restored from a copy waits, whichever frame says that it has said more. */
Test(tags, a_head_of_the_receivers_own_feed_that_it_lacks_makes_it_wait)
{
	struct world *w = talkative();
	struct member *eve = live_with_tags(w);
	static const uint8_t id[PL_ID_BYTES];

	say_heads(eve, 0, 1, (const uint64_t[]){ 0, 5, 0, 0 }, (const uint8_t *const[]){ NULL, id, NULL, NULL });
	member_flush(eve);
	member_run_ms(eve, 10);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_ERR_STATE);
	member_run_ms(eve, PL_DOUBT_MS + 10);
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	cr_assert_eq(acked(w, CHE, 1), 0);
	member_free(eve);
	world_free(w);
}

/* --- PING --- */

Test(tags, another_root_in_a_ping_is_answered_with_tags_once_in_30_s)
{
	struct world *w = talkative();
	struct member *eve = live_with_tags(w);
	struct pl_hello hello;

	cr_assert(member_heard_hello(eve, &hello));
	uint8_t salt[PL_SALT_BYTES];
	memcpy(salt, hello.salt, sizeof(salt));
	member_forget(eve);
	ping(eve, pl_frontier_root(world_engine(w, CHE)));
	cr_assert_eq(member_heard_of(eve, PL_FRAME_TAGS), 0, "the same root");
	for (int i = 0; i < 20; i++)
		ping(eve, NULL);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_TAGS), 1);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_HEADS), 0);
	for (size_t i = 0; i < member_heard_count(eve); i++) {
		const struct member_heard *h = member_heard(eve, i);
		uint8_t tag[PL_TAG_BYTES];
		if (h->type != PL_FRAME_TAGS)
			continue;
		cr_assert_eq(h->payload_bytes, TAGS_BYTES);
		pl_tag(salt, pl_digests(world_engine(w, CHE))[2], tag);
		cr_assert_arr_eq(tag, h->payload + 2 * PL_TAG_BYTES, PL_TAG_BYTES);
	}
	member_run_ms(eve, PL_ANTI_ENTROPY_MS);
	ping(eve, NULL);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_TAGS), 2);
	member_free(eve);
	world_free(w);
	/* who holds little says it at once */
	w = network();
	cr_assert_eq(world_submit(w, CHE, 1, PL_KIND_MESSAGE, 0, "y", 1), PL_OK);
	world_run_ms(w, 50);
	eve = live_with_tags(w);
	member_forget(eve);
	ping(eve, NULL);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_TAGS), 0);
	cr_assert_eq(told(eve, CHE, 1), 1);
	member_free(eve);
	world_free(w);
}

Test(tags, tags_are_answered_with_the_heads_of_what_differs_once_for_each_ping)
{
	struct world *w = talkative();
	struct member *eve = live_with_tags(w);
	uint8_t tags[TAGS_BYTES];

	tags_of_che(w, tags);
	tags[2 * PL_TAG_BYTES] ^= 0x80;
	member_forget(eve);
	member_frame(eve, PL_FRAME_TAGS, 0, 0, tags, sizeof(tags));
	member_flush(eve);
	member_run_ms(eve, 100);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_HEADS), 0, "CHE has sent no PING yet");
	member_run_ms(eve, PL_PING_MS);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_PING), 1);
	for (int i = 0; i < 5; i++) {
		member_frame(eve, PL_FRAME_TAGS, 0, 0, tags, sizeof(tags));
		member_flush(eve);
		member_run_ms(eve, 20);
	}
	cr_assert_eq(member_heard_of(eve, PL_FRAME_HEADS), 1);
	cr_assert(told(eve, FIN, 2) == 1 && told(eve, SGP, 2) == 1 && told(eve, SGP, 1) == UINT64_MAX && told(eve, FIN, 0) == UINT64_MAX);
	cr_assert_eq(acked(w, SGP, 1), 0, "equal tags acknowledge at the beginning alone");
	/* equal ones need no answer */
	member_run_ms(eve, PL_PING_MS);
	tags_of_che(w, tags);
	member_frame(eve, PL_FRAME_TAGS, 0, 0, tags, sizeof(tags));
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_HEADS), 1);
	member_free(eve);
	world_free(w);
}

/* --- networks in which not all know tags --- */

/* FIN - CHE - SGP, of which some do not know tags: bit by bit. Each is away while the others go on; and entries get lost unnoticed. */
static void live_together(unsigned old)
{
	struct world *w = world_new(3, old + 1);

	for (uint16_t node = FIN; node <= SGP; node++)
		world_config(w, node)->whole_frontiers = old >> node & 1;
	world_link(w, FIN, CHE);
	world_link(w, SGP, CHE);
	world_start(w);
	world_run_ms(w, 100);
	for (uint16_t away = FIN; away <= SGP; away++) {
		world_stop(w, away);
		for (int i = 0; i < 30; i++) {
			const uint16_t node = (uint16_t)((away + 1 + i % 2) % 3);
			const uint8_t lane = (uint8_t)(i % 3);
			cr_assert_eq(world_submit(w, node, lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
			world_run_ms(w, 5);
		}
		world_crash(w, away);
		cr_assert(world_converges(w, 5000), "of %u, node %u away", old, away);
		world_run_ms(w, 1000);
		for (uint16_t a = FIN; a <= SGP; a++) {
			for (uint16_t b = FIN; b <= SGP; b++) {
				struct pl_peer_info info;
				pl_engine_peer(world_engine(w, a), b, &info);
				cr_assert(a == b || info.held_entries == 0, "of %u, node %u holds %d for %u", old, a, (int)info.held_entries, b);
			}
		}
	}
	cr_assert_eq(world_notes(w, CHE, PL_NOTE_PEER_FAULT), 0);
	world_free(w);
}

Test(tags, nodes_that_know_tags_and_nodes_that_do_not_live_together)
{
	for (unsigned old = 0; old < 8; old++)
		live_together(old);
}

/* Where nothing tells of a head, the roots in PING do. */
Test(tags, what_was_never_told_is_found_by_the_next_pings)
{
	for (unsigned old = 0; old < 4; old++) {
		struct world *w = world_new(3, 1);
		for (uint16_t node = FIN; node <= SGP; node++)
			world_config(w, node)->whole_frontiers = old >> (node & 1) & 1;
		world_link(w, FIN, CHE);
		world_link(w, SGP, CHE);
		world_start(w);
		world_run_ms(w, 100);
		for (int i = 0; i < 30; i++) {
			const uint8_t lane = (uint8_t)(i / 3 % 3);
			cr_assert_eq(world_submit(w, (uint16_t)(i % 3), lane, lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, 0, &i, sizeof(i)), PL_OK);
			world_run_ms(w, 5);
		}
		cr_assert(world_converges(w, 1000));
		world_run_ms(w, 1000);
		/* as if CHE had never been told: it forgets what FIN has said that it has, and FIN that CHE is to be told */
		struct pl_engine *fin = world_engine(w, FIN);
		struct session *s = &fin->sessions[fin->peers[CHE].session];
		const uint32_t index = pl_lane_index(FIN, 1);
		s->choked[index] |= 2; /* not pushed */
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, "lost", 4), PL_OK);
		while (fin->lanes[index].durable_seq < fin->lanes[index].have_seq)
			world_run_ms(w, 1);
		s->dirty[index] = 0; /* not announced */
		world_run_ms(w, 200);
		cr_assert_eq(world_durable(w, CHE, FIN, 1), world_durable(w, FIN, FIN, 1) - 1);
		cr_assert(world_converges(w, 2 * PL_PING_MS + 1000), "%u", old);
		world_free(w);
	}
}
