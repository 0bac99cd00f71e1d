/* Whom a node asks for what it lacks: PROTOCOL.md, "HAVE and WANT". Of those that lie about it: hostile_sync_test.c. */
#include <criterion/criterion.h>
#include <string.h>

#include "proto/state.h"
#include "tests/hostile.h"

Test(fetch, of_those_that_have_announced_as_much_the_fastest_is_asked)
{
	for (int slow = 0; slow < 2; slow++) {
		struct world *w = world_new(4, 1);
		struct pl_want want;
		struct member *members[2];

		world_play(w, SGP);
		world_play(w, EVE);
		world_start(w);
		for (int i = 0; i < 2; i++) {
			members[i] = member_dial(w, i == 0 ? SGP : EVE, CHE);
			cr_assert_not_null(members[i]);
			member_go_live(members[i]);
			member_forget(members[i]);
		}
		struct pl_engine *e = world_engine(w, CHE);
		e->sessions[e->peers[SGP].session].rtt_ms = slow == 0 ? 200 : 10;
		e->sessions[e->peers[EVE].session].rtt_ms = slow == 1 ? 200 : 10;
		for (int i = 0; i < 2; i++) {
			member_item(members[i], PL_FRAME_HAVE, 0, FIN, 2, 5, NULL); /* bulk is asked of one at a time */
			member_flush(members[i]);
		}
		member_run_ms(members[0], 100);
		member_listen(members[1]);
		cr_assert(member_asked(members[!slow], FIN, 2, &want), "slow: %d", slow);
		cr_assert_not(member_asked(members[slow], FIN, 2, &want), "slow: %d", slow);
		member_free(members[0]);
		member_free(members[1]);
		world_free(w);
	}
}

/* Those that should push fall silent; so may be those that have it. */
Test(fetch, four_are_asked_for_what_is_announced_and_pushed_by_nobody)
{
	enum { ANNOUNCERS = 6 };
	for (uint8_t lane = 0; lane < 2; lane++) {
		struct world *w = world_new(EVE + ANNOUNCERS, 1);
		struct member *members[ANNOUNCERS];
		struct pl_want want;
		int asked = 0;

		for (uint16_t i = 0; i < ANNOUNCERS; i++)
			world_play(w, (uint16_t)(EVE + i));
		world_start(w);
		for (uint16_t i = 0; i < ANNOUNCERS; i++) {
			members[i] = member_dial(w, (uint16_t)(EVE + i), CHE);
			cr_assert_not_null(members[i]);
			member_go_live(members[i]);
			member_forget(members[i]);
		}
		for (int i = 0; i < 2; i++) {
			member_item(members[i], PL_FRAME_HAVE, 0, FIN, lane, 5, NULL);
			member_flush(members[i]);
		}
		world_run_ms(w, PL_HAVE_DELAY_MS - 5);
		for (int i = 0; i < 2; i++) {
			member_listen(members[i]);
			cr_assert_not(member_asked(members[i], FIN, lane, &want), "somebody may be pushing it");
		}
		world_run_ms(w, 20);
		for (int i = 0; i < 2; i++) {
			member_listen(members[i]);
			cr_assert(member_asked(members[i], FIN, lane, &want), "lane %u, member %d", lane, i);
		}
		for (int i = 2; i < ANNOUNCERS; i++) {
			member_item(members[i], PL_FRAME_HAVE, 0, FIN, lane, 5, NULL);
			member_flush(members[i]);
			world_run_ms(w, 5);
		}
		for (int i = 2; i < ANNOUNCERS; i++) {
			member_listen(members[i]);
			asked += member_asked(members[i], FIN, lane, &want);
		}
		cr_assert_eq(asked, 2, "lane %u: %d more are asked as soon as they say that they have it", lane, asked);
		world_run_ms(w, 1200);
		for (int i = 2; i < ANNOUNCERS; i++) {
			member_listen(members[i]);
			cr_assert(member_asked(members[i], FIN, lane, &want), "and the others in time: lane %u, member %d", lane, i);
			member_free(members[i]);
		}
		member_free(members[0]);
		member_free(members[1]);
		world_free(w);
	}
}

/* So many bytes of an entry, from there on, as an answer to a WANT. */
static void member_piece(struct member *m, const uint8_t *wire, uint32_t wire_bytes, uint32_t at, uint32_t count)
{
	uint8_t payload[4 + 2000];
	const uint32_t head = at == 0 ? 4 : 0;

	pl_put32(payload, wire_bytes);
	memcpy(payload + head, wire + at, count);
	member_frame(m, PL_FRAME_FRAG, (uint8_t)(PL_FRAME_CATCHUP | (at == 0 ? PL_FRAME_FIRST : 0)), 1, payload, head + count);
	member_flush(m);
}

/* A large message on a thin link: what comes in pieces is not asked for twice. */
Test(fetch, a_message_of_which_pieces_come_is_asked_of_nobody_else)
{
	struct world *w = world_new(4, 1);
	struct author author = { .node = FIN };
	struct member *members[2];
	struct pl_want want;

	world_play(w, SGP);
	world_play(w, EVE);
	world_play(w, FIN);
	world_start(w);
	const struct made made = author_next(w, &author, 1, 0, 60000);
	uint8_t *wire = world_room(w, PL_WIRE_BYTES_MAX);
	const size_t wire_bytes = made_wire(&made, PL_WIRE_FORM_NEXT, wire, PL_WIRE_BYTES_MAX);
	for (int i = 0; i < 2; i++) {
		members[i] = member_dial(w, i == 0 ? SGP : EVE, CHE);
		cr_assert_not_null(members[i]);
		member_go_live(members[i]);
		member_forget(members[i]);
	}
	struct pl_engine *e = world_engine(w, CHE);
	e->sessions[e->peers[SGP].session].rtt_ms = 1;
	e->sessions[e->peers[EVE].session].rtt_ms = 20;
	member_item(members[0], PL_FRAME_FRONTIER, PL_FRAME_LAST, FIN, 1, 1, made.id);
	member_flush(members[0]);
	world_run_ms(w, 20);
	member_listen(members[0]);
	cr_assert(member_asked(members[0], FIN, 1, &want));
	member_item(members[1], PL_FRAME_HAVE, 0, FIN, 1, 1, made.id);
	member_flush(members[1]);
	for (uint32_t at = 0; at < 55000; at += 1000) {
		member_piece(members[0], wire, (uint32_t)wire_bytes, at, 1000);
		world_run_ms(w, 100);
	}
	member_listen(members[1]);
	cr_assert_not(member_asked(members[1], FIN, 1, &want), "pieces come from who was asked");
	world_run_ms(w, 2200);
	member_listen(members[1]);
	cr_assert(member_asked(members[1], FIN, 1, &want), "none have come for a second");
	member_free(members[0]);
	member_free(members[1]);
	world_free(w);
}

/* The tree of a lane stands; who comes then announces it. */
Test(fetch, who_comes_when_two_push_a_lane_is_choked_for_it_and_for_no_other)
{
	struct world *w = world_new(5, 1);
	struct author author = { .node = FIN };
	struct member *members[3];
	uint32_t chokes[3];

	for (uint16_t i = 0; i < 5; i++) {
		if (i != CHE)
			world_play(w, i);
	}
	world_start(w);
	const struct made first = author_next(w, &author, 1, 0, 100), other = author_next(w, &author, 2, 0, 100);
	for (int i = 0; i < 3; i++) {
		members[i] = member_dial(w, i == 0 ? SGP : (uint16_t)(EVE + i - 1), CHE);
		cr_assert_not_null(members[i]);
		member_go_live(members[i]);
		world_run_ms(w, 20);
		member_listen(members[i]);
		chokes[i] = member_heard_of(members[i], PL_FRAME_CHOKE);
		if (i == 2)
			break;
		member_entry(members[i], &first, 0);
		if (i == 0)
			member_entry(members[i], &other, 0);
		member_flush(members[i]);
		world_run_ms(w, 50);
	}
	cr_assert_eq(chokes[0] + chokes[1], 0, "one has brought it when the second comes");
	cr_assert_eq(chokes[2], 1, "two have when the third comes: %u lanes are choked", chokes[2]);
	for (size_t i = 0; i < member_heard_count(members[2]); i++) {
		const struct member_heard *heard = member_heard(members[2], i);
		if (heard->type == PL_FRAME_CHOKE)
			cr_assert(pl_get16(heard->payload) == FIN && heard->payload[2] == 1, "the one of which two have brought the last entry");
	}
	for (int i = 0; i < 3; i++)
		member_free(members[i]);
	world_free(w);
}

/* --- who has a lane does not hold it up, whatever the others have left unanswered before --- */

struct holders {
	struct world *w;
	struct author fin;
	struct made made[80]; /* bulk of FIN, or messages */
	struct member *of[3]; /* SGP and two more, linked to CHE */
};

enum { HOLDERS_ENTRIES = 80 };

static struct holders holders(uint8_t lane)
{
	struct holders h = { .w = world_new(5, 1), .fin = { .node = FIN } };

	for (uint16_t i = 0; i < 5; i++) {
		if (i != CHE)
			world_play(h.w, i);
	}
	world_start(h.w);
	for (int i = 0; i < HOLDERS_ENTRIES; i++)
		h.made[i] = author_next(h.w, &h.fin, lane, 0, 100);
	for (int i = 0; i < 3; i++) {
		h.of[i] = member_dial(h.w, (uint16_t)(SGP + i), CHE);
		cr_assert_not_null(h.of[i]);
		member_go_live(h.of[i]);
		member_forget(h.of[i]);
	}
	return h;
}

static void holders_free(struct holders *h)
{
	for (int i = 0; i < 3; i++)
		member_free(h->of[i]);
	world_free(h->w);
}

static void holders_run(struct holders *h, uint64_t ms)
{
	for (uint64_t at = 0; at < ms; at += 100) {
		world_run_ms(h->w, 100);
		for (int i = 0; i < 3; i++)
			member_listen(h->of[i]);
	}
}

/* It has all of it. */
static void has_all(struct holders *h, int i, uint8_t lane)
{
	member_item(h->of[i], PL_FRAME_FRONTIER, 0, FIN, lane, HOLDERS_ENTRIES, h->made[HOLDERS_ENTRIES - 1].id);
	member_flush(h->of[i]);
	holders_run(h, 100);
}

static uint8_t *left_unanswered(struct holders *h, int i, uint8_t lane)
{
	struct pl_engine *e = world_engine(h->w, CHE);

	return &e->unanswered[(uint32_t)(SGP + i) * e->lanes_count + (uint32_t)FIN * PL_LANES + lane];
}

Test(fetch, who_delivers_gives_way_after_half_a_minute_and_has_left_nothing_unanswered)
{
	struct holders h = holders(2);
	struct pl_want want;
	uint64_t ms = 0;

	has_all(&h, 0, 2);
	cr_assert(member_asked(h.of[0], FIN, 2, &want));
	has_all(&h, 1, 2);
	for (int i = 0; !member_asked(h.of[1], FIN, 2, &want); i++, ms += 1000) {
		cr_assert_lt(ms, 40000, "the other is asked too");
		member_entry(h.of[0], &h.made[i], PL_FRAME_CATCHUP);
		member_flush(h.of[0]);
		holders_run(&h, 1000);
	}
	cr_assert_geq(ms, 29000);
	cr_assert_eq(*left_unanswered(&h, 0, 2), 0);
	cr_assert_eq(want.from, world_durable(h.w, CHE, FIN, 2) + 1);
	member_forget(h.of[0]);
	for (ms = 0; !member_asked(h.of[0], FIN, 2, &want); ms += 1000) {
		cr_assert_lt(ms, 40000, "then the first again");
		member_entry(h.of[1], &h.made[world_durable(h.w, CHE, FIN, 2)], PL_FRAME_CATCHUP);
		member_flush(h.of[1]);
		holders_run(&h, 1000);
	}
	cr_assert_geq(ms, 29000);
	cr_assert_eq(*left_unanswered(&h, 1, 2), 0);
	holders_free(&h);
}

/* A byte now and then is no answer. */
Test(fetch, pieces_count_for_as_long_as_they_take_at_the_least_rate)
{
	for (uint8_t lane = 1; lane < 3; lane++) {
		for (uint32_t bytes = 1; bytes <= 300; bytes += 299) {
			struct holders h = holders(lane);
			struct pl_want want;
			uint8_t wire[PL_WIRE_PREFIX + 100], piece[4 + 300] = { 0 };
			uint64_t ms = 0;

			cr_assert_eq(made_wire(&h.made[0], PL_WIRE_FORM_NEXT, wire, sizeof(wire)), sizeof(wire));
			has_all(&h, 0, lane);
			cr_assert(member_asked(h.of[0], FIN, lane, &want));
			pl_put32(piece, PL_WIRE_PREFIX + 100000);
			memcpy(piece + 4, wire, 40);
			member_frame(h.of[0], PL_FRAME_FRAG, PL_FRAME_FIRST | PL_FRAME_CATCHUP, lane, piece, 4 + 40);
			member_flush(h.of[0]);
			*left_unanswered(&h, 1, lane) = 2;
			has_all(&h, 1, lane);
			for (; !member_asked(h.of[1], FIN, lane, &want) && ms < 100000; ms += 800) {
				member_frame(h.of[0], PL_FRAME_FRAG, PL_FRAME_CATCHUP, lane, piece + 4, bytes);
				member_flush(h.of[0]);
				holders_run(&h, 800);
			}
			if (bytes == 1)
				cr_assert_lt(ms, 5000, "lane %u", lane);
			else if (lane == 1)
				cr_assert_geq(ms, 80000, "nobody else is asked besides, while pieces come: %d ms", (int)ms);
			else
				cr_assert(ms >= 80000 && ms < 95000, "lane %u: it keeps its turn, of 90 s beside who has left two unanswered: %d ms", lane, (int)ms);
			holders_free(&h);
		}
	}
}

/* What answers nothing, where another has the lane, however often that other has left something unanswered. */
Test(fetch, who_sends_what_was_not_asked_for_keeps_nothing_from_who_has_been_slow)
{
	struct holders h = holders(2);
	struct author own = { .node = SGP };
	struct pl_want want;
	const struct made known = author_next(h.w, &own, 1, 0, 20);
	uint64_t ms = 0;

	has_all(&h, 0, 2);
	cr_assert(member_asked(h.of[0], FIN, 2, &want));
	*left_unanswered(&h, 1, 2) = 10;
	has_all(&h, 1, 2);
	for (; !member_asked(h.of[1], FIN, 2, &want); ms += 1000) {
		cr_assert_lt(ms, 5000);
		member_entry(h.of[0], &known, PL_FRAME_CATCHUP);
		member_flush(h.of[0]);
		holders_run(&h, 1000);
	}
	holders_free(&h);
}

/* Each entry by itself: it is announced when the one before has come, and so is all that was asked for. */
Test(fetch, who_announces_one_entry_at_a_time_has_one_turn)
{
	struct holders h = holders(2);
	struct pl_want want;
	uint64_t ms = 0;

	member_item(h.of[0], PL_FRAME_FRONTIER, 0, FIN, 2, 1, h.made[0].id);
	member_flush(h.of[0]);
	holders_run(&h, 100);
	cr_assert(member_asked(h.of[0], FIN, 2, &want));
	*left_unanswered(&h, 1, 2) = 1;
	has_all(&h, 1, 2);
	for (int i = 0; !member_asked(h.of[1], FIN, 2, &want); i++, ms += 2000) {
		cr_assert_lt(ms, 70000);
		member_item(h.of[0], PL_FRAME_HAVE, 0, FIN, 2, (uint64_t)i + 2, h.made[i + 1].id);
		member_entry(h.of[0], &h.made[i], PL_FRAME_CATCHUP);
		member_flush(h.of[0]);
		holders_run(&h, 2000);
	}
	holders_free(&h);
}

/* Two that take turns with each other would be asked for ever. */
Test(fetch, all_that_have_a_lane_have_their_turn)
{
	struct holders h = holders(2);
	struct pl_want want;
	uint64_t ms = 0;

	has_all(&h, 0, 2);
	*left_unanswered(&h, 2, 2) = 2;
	has_all(&h, 1, 2);
	has_all(&h, 2, 2);
	for (int i = 0; !member_asked(h.of[2], FIN, 2, &want); ms += 2500) {
		cr_assert_lt(ms, 140000);
		for (int k = 0; k < 2; k++) {
			if (!member_asked(h.of[k], FIN, 2, &want))
				continue;
			member_entry(h.of[k], &h.made[i], PL_FRAME_CATCHUP);
			member_flush(h.of[k]);
		}
		i++;
		holders_run(&h, 2500);
	}
	cr_assert_geq(ms, 50000);
	cr_assert_eq(*left_unanswered(&h, 0, 2) + *left_unanswered(&h, 1, 2), 0);
	holders_free(&h);
}
