/* Members that try to keep from a node what others say, although an honest way to it stands: FIN - CHE - SGP, and hostile members on SGP. Each story
 * is told twice: without the attack, and with it. */
#include <string.h>

#include "tests/hostile.h"

enum { EVES = 12, LIE = 100000 }; /* EVE and who is with her; EVES at most */

static const uint8_t junk_id[PL_ID_BYTES] = "no such head";

struct liars {
	struct world *w;
	int count;
	struct member *of[EVES];
	struct author as[EVES]; /* whose feed each has news of: each that of the next */
	struct made known[EVES]; /* that SGP holds: sent again, it answers nothing */
};

static struct world *large_network(void)
{
	struct world *w = world_new(3 + EVES, 1);

	for (uint16_t i = 0; i < EVES; i++)
		world_play(w, (uint16_t)(EVE + i));
	world_link(w, FIN, CHE);
	world_link(w, SGP, CHE);
	world_start(w);
	world_run_ms(w, 100);
	return w;
}

static void listen_all(struct liars *l)
{
	for (int i = 0; i < l->count && l->of[i]; i++)
		member_listen(l->of[i]);
}

/* Each is linked to SGP, which holds one entry of each. */
static void liars_come(struct liars *l, struct world *w)
{
	l->w = w;
	for (int i = 0; i < l->count; i++) {
		l->of[i] = member_dial(w, (uint16_t)(EVE + i), SGP);
		cr_assert_not_null(l->of[i]);
		member_go_live(l->of[i]);
		l->as[i] = (struct author){ .node = (uint16_t)(EVE + (i + 1) % l->count) };
		l->known[i] = author_next(w, &l->as[i], 1, 0, 20);
		member_entry(l->of[i], &l->known[i], 0);
		member_flush(l->of[i]);
	}
	world_run_ms(w, 100);
	listen_all(l);
}

static void liars_go(struct liars *l)
{
	for (int i = 0; i < l->count; i++)
		member_free(l->of[i]);
}

static void claim(struct liars *l)
{
	for (int i = 0; i < l->count; i++) {
		for (uint8_t lane = 0; lane < 2; lane++)
			member_item(l->of[i], PL_FRAME_HAVE, 0, FIN, lane, LIE, junk_id);
		member_flush(l->of[i]);
	}
}

/* What costs nothing and looks like work: a known entry that says that it answers, and news of each other, on request. */
static void pretend(struct liars *l)
{
	for (int i = 0; i < l->count; i++) {
		struct pl_want want;
		member_entry(l->of[i], &l->known[i], PL_FRAME_CATCHUP);
		if (member_asked(l->of[i], l->as[i].node, 1, &want) && want.to >= l->as[i].lanes[1].seq)
			member_entry(l->of[i], &l->known[i], PL_FRAME_CATCHUP);
		member_forget(l->of[i]);
		l->known[i] = author_next(l->w, &l->as[i], 1, 0, 20);
		member_item(l->of[i], PL_FRAME_HAVE, 0, l->as[i].node, 1, l->as[i].lanes[1].seq, l->known[i].id);
		member_flush(l->of[i]);
	}
}

/* Runs until SGP has what FIN said; the liars do what they can meanwhile. Returns the ms that it took; ms: not within that. */
static uint64_t until_there(struct liars *l, uint8_t lane, uint64_t seq, uint64_t ms)
{
	const uint64_t from = world_now(l->w);

	for (uint64_t at = 0; at < ms && world_durable(l->w, SGP, FIN, lane) < seq; at += 10) {
		world_run_ms(l->w, 10);
		listen_all(l);
		if (at % 100 == 0)
			pretend(l);
		if (at % 3000 == 0)
			claim(l);
	}
	return world_now(l->w) - from;
}

static void say(struct world *w, uint8_t lane, uint8_t flags)
{
	cr_assert_eq(world_submit(w, FIN, lane, PL_KIND_MESSAGE, flags, "text", 4), PL_OK);
}

/* SGP was cut off when FIN said it. */
/* count of liars: 0 is the story without the attack. */
static uint64_t said_while_away(int count, uint8_t lane, uint8_t flags)
{
	struct world *w = large_network();
	struct liars l = { .w = w, .count = count };

	liars_come(&l, w);
	world_cut(w, SGP, CHE);
	world_run_ms(w, 100);
	say(w, lane, flags);
	world_run_ms(w, 1000);
	listen_all(&l);
	if (count > 0) {
		claim(&l);
		world_run_ms(w, 100);
		listen_all(&l);
	}
	world_heal(w, SGP, CHE);
	struct pl_peer_info info;
	do {
		world_run_ms(w, 1);
		pl_engine_peer(world_engine(w, SGP), CHE, &info);
	} while (info.state != PL_SESSION_LIVE);
	const uint64_t took = until_there(&l, lane, 1, 600000);
	liars_go(&l);
	world_free(w);
	return took;
}

Test(withhold, a_flash_that_was_missed_comes_soon_whatever_others_claim)
{
	cr_assert_lt(said_while_away(0, 0, PL_FLAG_FLASH), 50);
	cr_assert_lt(said_while_away(3, 0, PL_FLAG_FLASH), 2500);
	cr_assert_lt(said_while_away(EVES, 0, PL_FLAG_FLASH), 4500);
}

Test(withhold, a_message_that_was_missed_comes_in_the_end_whatever_others_claim)
{
	cr_assert_lt(said_while_away(0, 1, 0), 50);
	cr_assert_lt(said_while_away(3, 1, 0), 100000);
}

/* What FIN sends to EVE, she has earlier than CHE has passed it on: each of hers pushes it to SGP twice, so that CHE is the third at best. */
static void push_first(struct liars *l, struct member *at_fin, uint8_t lane, uint64_t seq)
{
	for (size_t i = 0; i < member_heard_count(at_fin); i++) {
		const struct member_heard *h = member_heard(at_fin, i);
		struct pl_wire wire;
		if (h->type != PL_FRAME_ENTRY || pl_wire_read(h->payload, h->payload_bytes, &wire) != PL_OK || wire.node != FIN ||
		    wire.header.lane != lane || wire.header.seq != seq)
			continue;
		for (int k = 0; k < l->count; k++) {
			member_frame(l->of[k], PL_FRAME_ENTRY, 0, lane, h->payload, h->payload_bytes);
			member_frame(l->of[k], PL_FRAME_ENTRY, 0, lane, h->payload, h->payload_bytes);
			member_flush(l->of[k]);
		}
		return;
	}
	cr_assert(false, "FIN has not sent it");
}

/* FIN says a message that EVE brings first, one that she keeps, and a FLASH. Returns how long SGP waits for the FLASH. */
static uint64_t said_after_a_choke(int count)
{
	struct world *w = large_network();
	struct liars l = { .w = w, .count = count };
	struct member *at_fin = member_dial(w, EVE, FIN);

	world_latency(w, 2, 1);
	member_go_live(at_fin);
	liars_come(&l, w);
	say(w, 0, 0);
	if (count > 0) {
		while (member_copies(at_fin, FIN, 0, 1) == 0)
			member_run_ms(at_fin, 1);
		push_first(&l, at_fin, 0, 1);
	}
	world_run_ms(w, 300);
	listen_all(&l);
	if (count > 0) {
		claim(&l);
		world_run_ms(w, 100);
		listen_all(&l);
	}
	say(w, 0, 0);
	world_run_ms(w, 50);
	say(w, 0, PL_FLAG_FLASH);
	const uint64_t took = until_there(&l, 0, 3, 600000);
	liars_go(&l);
	member_free(at_fin);
	world_free(w);
	return took;
}

Test(withhold, a_flash_comes_soon_although_who_would_bring_it_was_choked)
{
	cr_assert_lt(said_after_a_choke(0), 50);
	cr_assert_lt(said_after_a_choke(3), 2500);
	cr_assert_lt(said_after_a_choke(EVES), 4500);
}

Test(withhold, who_pushes_an_entry_twice_counts_once)
{
	struct world *w = network();
	struct member *eve = live(w, CHE);
	struct author author = { .node = EVE };

	world_cut(w, SGP, CHE);
	world_run_ms(w, 10);
	struct made made = author_next(w, &author, 1, 0, 20);
	for (int i = 0; i < 5; i++)
		member_entry(eve, &made, 0);
	member_flush(eve);
	member_run_ms(eve, 20);
	cr_assert_eq(member_heard_of(eve, PL_FRAME_CHOKE), 0, "nobody else has brought it");
	member_free(eve);
	world_free(w);
}

